/* Chapter G: gates and weights of spec/02-gate.md, forward and gradient.
 *
 * Every order selects on the logits r themselves: softmax is increasing, so in exact arithmetic the set is the same,
 * but rounded probabilities tie (two that underflow are both 0) where logits do not.  The tie rule is that of N.25: the
 * lowest index wins, and the K experts stand in descending order of r, then ascending order of index.  weight_j belongs
 * to index_j.  The margin is on r: K-th minus (K+1)-th largest, +inf if K = N.
 *
 * Sizes: N >= 1, 1 <= K <= N, d >= 1, T >= 0.  Outputs alias neither inputs nor each other.  vjps overwrite.
 *
 * Errors of all functions: SMOE_EINVAL for sizes outside that, or an unknown order; SMOE_EDOM for a non-finite input or
 * an index not below N (nothing is written); SMOE_EOVRFLW if a finite input made an output overflow (but a margin may
 * be +inf).
 */
#ifndef SMOEREF_GATE_H
#define SMOEREF_GATE_H

#include <stddef.h>
#include <stdint.h>

#include "numerics.h"

/* (G.1) Linear gate:  r_t = Wr x_t + br
 *
 *   x [T,d]  wr [N,d]  br [N]
 *   r [T,N]  out: the logits
 *
 * Source: Shazeer et al. 2017, eq. (4) without noise; spec G.1 for who has the bias.
 */
/*@ requires smoe_product(T, N, d, x, wr, r) && \valid_read(br + (0 .. N-1));
    assigns r[0 .. T*N-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_linear(size_t T, size_t d, size_t N, const double *x, const double *wr, const double *br,
                             double *r);

/* dx = Wr' dr,  dWr = sum_t dr_t x_t',  dbr = sum_t dr_t,  tokens ascending.  dx [T,d]  dwr [N,d]  dbr [N]  out */
/*@ requires smoe_product(N, d, T, dr, x, dwr) && smoe_product(T, d, N, dr, wr, dx) && \valid(dbr + (0 .. N-1));
    assigns dx[0 .. T*d-1], dwr[0 .. N*d-1], dbr[0 .. N-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_linear_vjp(size_t T, size_t d, size_t N, const double *x, const double *wr, const double *dr,
                                 double *dx, double *dwr, double *dbr);

/* (G.2) Softmax after the selection, of one token:  I = TopK(r),  weight = softmax(r_I)
 *
 *   r [N]
 *   index [K]   out: the experts, largest r first
 *   weight [K]  out: they sum to 1
 *   margin      out
 *   value [K]   out: r_I
 *
 * With K = 1 the weight is 1 whatever r is, so the gradient is exactly 0 (TopOneZeroGrad in the literature of defects).
 * Source: Shazeer et al. 2017, eqs. (3) and (5); spec G.2.
 */
/*@ requires \valid_read(r + (0 .. N-1));
    requires \valid(index + (0 .. K-1)) && \valid(weight + (0 .. K-1)) && \valid(margin) && \valid(value + (0 .. K-1));
    requires \separated(r + (0 .. N-1), index + (0 .. K-1), weight + (0 .. K-1), margin, value + (0 .. K-1));
    assigns index[0 .. K-1], weight[0 .. K-1], *margin, value[0 .. K-1];
    ensures K == 0 || K > N ==> \result == SMOE_EINVAL;
    ensures 0 < K <= N && !smoe_finites(r, N) ==> \result == SMOE_EDOM;
    ensures 0 < K <= N && smoe_finites(r, N) ==> \result == SMOE_OK;
    ensures \result == SMOE_OK ==> \forall integer j; 0 <= j < K ==> index[j] < N;
    ensures \result == SMOE_OK ==> \forall integer a, b; 0 <= a < b < K ==> smoe_before(r, index[a], index[b]);
    ensures \result == SMOE_OK ==>
              \forall integer i; 0 <= i < N && !smoe_taken(index, K, i) ==> smoe_before(r, index[K-1], i); */
smoe_status smoe_weights_topk_softmax(size_t N, size_t K, const double *r,
                                      size_t *index, double *weight, double *margin, double *value);

/* dr_{I_j} = weight_j (dweight_j - sum_l weight_l dweight_l), 0 outside I.  dr [N]  dvalue [K]  out (the same, by j) */
/*@ requires \valid_read(index + (0 .. K-1)) && \valid_read(weight + (0 .. K-1)) && \valid_read(dweight + (0 .. K-1));
    requires \valid(dr + (0 .. N-1)) && \valid(dvalue + (0 .. K-1));
    requires \separated(index + (0 .. K-1), dr + (0 .. N-1), dvalue + (0 .. K-1));
    requires \separated(weight + (0 .. K-1), dr + (0 .. N-1), dvalue + (0 .. K-1));
    requires \separated(dweight + (0 .. K-1), dr + (0 .. N-1), dvalue + (0 .. K-1));
    assigns dr[0 .. N-1], dvalue[0 .. K-1];
    ensures K == 0 || K > N ==> \result == SMOE_EINVAL;
    ensures 0 < K <= N && \result == SMOE_OK ==> \forall integer j; 0 <= j < K ==> index[j] < N;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_weights_topk_softmax_vjp(size_t N, size_t K, const size_t *index, const double *weight,
                                          const double *dweight, double *dr, double *dvalue);

/* (G.3) Softmax before the selection, not renormalised:  p = softmax(r),  I = TopK(r),  weight_j = p_{I_j}
 *
 *   p [N]       out: kept for the vjp;  the others as in G.2, but the weights sum to less than 1 unless K = N
 *
 * Source: Fedus et al. 2022, eqs. (1) and (2), with K = 1; spec G.3.
 */
/*@ requires \valid_read(r + (0 .. N-1));
    requires \valid(index + (0 .. K-1)) && \valid(weight + (0 .. K-1)) && \valid(margin) && \valid(p + (0 .. N-1));
    requires \separated(r + (0 .. N-1), index + (0 .. K-1), weight + (0 .. K-1), margin, p + (0 .. N-1));
    assigns index[0 .. K-1], weight[0 .. K-1], *margin, p[0 .. N-1];
    ensures K == 0 || K > N ==> \result == SMOE_EINVAL;
    ensures 0 < K <= N && !smoe_finites(r, N) ==> \result == SMOE_EDOM;
    ensures 0 < K <= N && smoe_finites(r, N) ==> \result == SMOE_OK;
    ensures \result == SMOE_OK ==> \forall integer j; 0 <= j < K ==> index[j] < N;
    ensures \result == SMOE_OK ==> \forall integer a, b; 0 <= a < b < K ==> smoe_before(r, index[a], index[b]);
    ensures \result == SMOE_OK ==>
              \forall integer i; 0 <= i < N && !smoe_taken(index, K, i) ==> smoe_before(r, index[K-1], i); */
smoe_status smoe_weights_softmax_topk(size_t N, size_t K, const double *r,
                                      size_t *index, double *weight, double *margin, double *p);

/* dp_{I_j} = dweight_j, 0 outside I;  dr_i = p_i (dp_i - sum_l p_l dp_l), for all i.  dr [N] out;  dp [N] out */
/*@ requires \valid_read(index + (0 .. K-1)) && \valid_read(p + (0 .. N-1)) && \valid_read(dweight + (0 .. K-1));
    requires \valid(dr + (0 .. N-1)) && \valid(dp + (0 .. N-1));
    requires \separated(index + (0 .. K-1), dr + (0 .. N-1), dp + (0 .. N-1));
    requires \separated(p + (0 .. N-1), dr + (0 .. N-1), dp + (0 .. N-1));
    requires \separated(dweight + (0 .. K-1), dr + (0 .. N-1), dp + (0 .. N-1));
    assigns dr[0 .. N-1], dp[0 .. N-1];
    ensures K == 0 || K > N ==> \result == SMOE_EINVAL;
    ensures 0 < K <= N && \result == SMOE_OK ==> \forall integer j; 0 <= j < K ==> index[j] < N;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_weights_softmax_topk_vjp(size_t N, size_t K, const size_t *index, const double *p,
                                          const double *dweight, double *dr, double *dp);

/* (G.4) Softmax before the selection, renormalised:  p = softmax(r),  I = TopK(r),  weight_j = p_{I_j} / sum_l p_{I_l}
 *
 *   p [N]       out: the probabilities;  the others as in G.2.  In exact arithmetic the weights are those of G.2.
 *
 * The sum runs over l in the order of index; it is at least 1/N because the largest probability is among the selected.
 * Source: public code of the second CompeteSMoE paper; spec G.4.
 */
/*@ requires \valid_read(r + (0 .. N-1));
    requires \valid(index + (0 .. K-1)) && \valid(weight + (0 .. K-1)) && \valid(margin) && \valid(p + (0 .. N-1));
    requires \separated(r + (0 .. N-1), index + (0 .. K-1), weight + (0 .. K-1), margin, p + (0 .. N-1));
    assigns index[0 .. K-1], weight[0 .. K-1], *margin, p[0 .. N-1];
    ensures K == 0 || K > N ==> \result == SMOE_EINVAL;
    ensures 0 < K <= N && !smoe_finites(r, N) ==> \result == SMOE_EDOM;
    ensures 0 < K <= N && smoe_finites(r, N) ==> \result == SMOE_OK;
    ensures \result == SMOE_OK ==> \forall integer j; 0 <= j < K ==> index[j] < N;
    ensures \result == SMOE_OK ==> \forall integer a, b; 0 <= a < b < K ==> smoe_before(r, index[a], index[b]);
    ensures \result == SMOE_OK ==>
              \forall integer i; 0 <= i < N && !smoe_taken(index, K, i) ==> smoe_before(r, index[K-1], i); */
smoe_status smoe_weights_softmax_topk_renorm(size_t N, size_t K, const double *r,
                                             size_t *index, double *weight, double *margin, double *p);

/* The gradient through the division and the softmax collapses to that of G.2 (spec G.4); dvalue [K] out, as there. */
/*@ requires \valid_read(index + (0 .. K-1)) && \valid_read(weight + (0 .. K-1)) && \valid_read(dweight + (0 .. K-1));
    requires \valid(dr + (0 .. N-1)) && \valid(dvalue + (0 .. K-1));
    requires \separated(index + (0 .. K-1), dr + (0 .. N-1), dvalue + (0 .. K-1));
    requires \separated(weight + (0 .. K-1), dr + (0 .. N-1), dvalue + (0 .. K-1));
    requires \separated(dweight + (0 .. K-1), dr + (0 .. N-1), dvalue + (0 .. K-1));
    assigns dr[0 .. N-1], dvalue[0 .. K-1];
    ensures K == 0 || K > N ==> \result == SMOE_EINVAL;
    ensures 0 < K <= N && \result == SMOE_OK ==> \forall integer j; 0 <= j < K ==> index[j] < N;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_weights_softmax_topk_renorm_vjp(size_t N, size_t K, const size_t *index, const double *weight,
                                                 const double *dweight, double *dr, double *dvalue);

/* G.2, G.3 or G.4 for each of T tokens. */
typedef enum { SMOE_TOPK_SOFTMAX, SMOE_SOFTMAX_TOPK, SMOE_SOFTMAX_TOPK_RENORM } smoe_weight_order;

/*   r [T,N]   index [T,K]  weight [T,K]  margin [T]   out
 *   p [T,N]   out: kept for the vjp (G.3, G.4: the probabilities; G.2: a row starts with r_I, its rest is not written)
 */
/*@ requires smoe_size(T*N) && smoe_size(T*K) && \valid_read(r + (0 .. T*N-1));
    requires \valid(index + (0 .. T*K-1)) && \valid(weight + (0 .. T*K-1)) && \valid(margin + (0 .. T-1)) &&
             \valid(p + (0 .. T*N-1));
    requires \separated(r + (0 .. T*N-1), index + (0 .. T*K-1), weight + (0 .. T*K-1), margin + (0 .. T-1),
                        p + (0 .. T*N-1));
    assigns index[0 .. T*K-1], weight[0 .. T*K-1], margin[0 .. T-1], p[0 .. T*N-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_weights(smoe_weight_order order, size_t T, size_t N, size_t K, const double *r,
                              size_t *index, double *weight, double *margin, double *p);

/*   dweight [T,K]   dr [T,N]  out   work [N]  scratch */
/*@ requires smoe_size(T*N) && smoe_size(T*K);
    requires \valid_read(index + (0 .. T*K-1)) && \valid_read(weight + (0 .. T*K-1)) &&
             \valid_read(p + (0 .. T*N-1)) && \valid_read(dweight + (0 .. T*K-1));
    requires \valid(dr + (0 .. T*N-1)) && \valid(work + (0 .. N-1));
    requires \separated(index + (0 .. T*K-1), dr + (0 .. T*N-1), work + (0 .. N-1));
    requires \separated(weight + (0 .. T*K-1), dr + (0 .. T*N-1), work + (0 .. N-1));
    requires \separated(p + (0 .. T*N-1), dr + (0 .. T*N-1), work + (0 .. N-1));
    requires \separated(dweight + (0 .. T*K-1), dr + (0 .. T*N-1), work + (0 .. N-1));
    assigns dr[0 .. T*N-1], work[0 .. N-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_weights_vjp(smoe_weight_order order, size_t T, size_t N, size_t K, const size_t *index,
                                  const double *weight, const double *p, const double *dweight,
                                  double *dr, double *work);

/* (G.5) Jitter:  xn = x * noise, element by element
 *
 *   x [n]  noise [n]   the multipliers: Switch draws them from [1-e, 1+e], any finite number is accepted
 *   xn [n]             out
 *
 * Source: Fedus et al. 2022 and its public code (from memory, high confidence); spec G.5.
 */
/*@ requires \valid_read(x + (0 .. n-1)) && \valid_read(noise + (0 .. n-1)) && \valid(xn + (0 .. n-1));
    requires \separated(x + (0 .. n-1), xn + (0 .. n-1)) && \separated(noise + (0 .. n-1), xn + (0 .. n-1));
    assigns xn[0 .. n-1];
    ensures !(smoe_finites(x, n) && smoe_finites(noise, n)) <==> \result == SMOE_EDOM;
    ensures \result == SMOE_OK ==> smoe_finites(xn, n);
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_jitter(size_t n, const double *x, const double *noise, double *xn);

/* (G.5) The linear gate on the jittered tokens:  r_t = Wr (x_t * noise_t) + br
 *
 *   x [T,d]  noise [T,d]  wr [N,d]  br [N]
 *   r [T,N]   out
 *   xn [T,d]  out: kept for the vjp
 */
/*@ requires smoe_product(T, N, d, xn, wr, r) && \valid_read(x + (0 .. T*d-1)) && \valid_read(noise + (0 .. T*d-1));
    requires \valid_read(br + (0 .. N-1)) && \valid(xn + (0 .. T*d-1));
    requires \separated(x + (0 .. T*d-1), xn + (0 .. T*d-1)) && \separated(noise + (0 .. T*d-1), xn + (0 .. T*d-1));
    assigns r[0 .. T*N-1], xn[0 .. T*d-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_jitter(size_t T, size_t d, size_t N, const double *x, const double *noise, const double *wr,
                             const double *br, double *r, double *xn);

/* dx = (Wr' dr) * noise,  dWr = sum_t dr_t xn_t',  dbr = sum_t dr_t,  tokens ascending.  The noise is a constant. */
/*@ requires smoe_product(N, d, T, dr, xn, dwr) && smoe_product(T, d, N, dr, wr, dx);
    requires \valid_read(noise + (0 .. T*d-1)) && \valid(dbr + (0 .. N-1));
    assigns dx[0 .. T*d-1], dwr[0 .. N*d-1], dbr[0 .. N-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_jitter_vjp(size_t T, size_t d, size_t N, const double *noise, const double *xn,
                                 const double *wr, const double *dr, double *dx, double *dwr, double *dbr);

/* (G.6) Noisy scores:  std = softplus(raw) + epsilon,  noisy = clean + noise * std  (a product and a sum, each rounded)
 *
 *   clean [n]  raw [n]  noise [n]   raw is x Wn' before the softplus, noise a standard normal draw
 *   epsilon                         at least 0
 *   std [n]  noisy [n]              out
 *
 * Errors: SMOE_EDOM also for an epsilon that is negative or not finite.
 * Source: Shazeer et al. 2017, eqs. (4) and (5); epsilon from public code; spec G.6.
 */
/*@ requires \valid_read(clean + (0 .. n-1)) && \valid_read(raw + (0 .. n-1)) && \valid_read(noise + (0 .. n-1));
    requires \valid(std + (0 .. n-1)) && \valid(noisy + (0 .. n-1));
    requires \separated(clean + (0 .. n-1), std + (0 .. n-1), noisy + (0 .. n-1));
    requires \separated(raw + (0 .. n-1), std + (0 .. n-1), noisy + (0 .. n-1));
    requires \separated(noise + (0 .. n-1), std + (0 .. n-1), noisy + (0 .. n-1));
    assigns std[0 .. n-1], noisy[0 .. n-1];
    ensures !(smoe_finite(epsilon) && epsilon >= 0 && \at(smoe_finites(clean, n) && smoe_finites(raw, n) &&
              smoe_finites(noise, n), Pre)) <==> \result == SMOE_EDOM;
    ensures \result == SMOE_OK ==> smoe_finites(std, n) && smoe_finites(noisy, n);
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_noisy_scores(size_t n, const double *clean, const double *raw, const double *noise, double epsilon,
                              double *std, double *noisy);

/* (G.6) dclean = dnoisy (the caller has it),  draw = (dnoisy * noise) sigmoid(raw).  draw [n] out */
/*@ requires \valid_read(raw + (0 .. n-1)) && \valid_read(noise + (0 .. n-1)) && \valid_read(dnoisy + (0 .. n-1));
    requires \valid(draw + (0 .. n-1));
    requires \separated(raw + (0 .. n-1), draw + (0 .. n-1)) && \separated(noise + (0 .. n-1), draw + (0 .. n-1));
    requires \separated(dnoisy + (0 .. n-1), draw + (0 .. n-1));
    assigns draw[0 .. n-1];
    ensures !(smoe_finites(raw, n) && smoe_finites(noise, n) && smoe_finites(dnoisy, n)) <==> \result == SMOE_EDOM;
    ensures \result == SMOE_OK ==> smoe_finites(draw, n);
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_noisy_scores_vjp(size_t n, const double *raw, const double *noise, const double *dnoisy,
                                  double *draw);

/* (G.6) Noisy top-k gating:  clean = x Wg',  raw = x Wn',  I = TopK(noisy),  weight = softmax(noisy_I)
 *
 *   x [T,d]  wg [N,d]  wn [N,d]  noise [T,N]
 *   clean [T,N]  raw [T,N]  std [T,N]  noisy [T,N]   out
 *   index [T,K]  weight [T,K]  margin [T]            out; the margin is on noisy
 *   value [K]                                        scratch
 */
/*@ requires smoe_product(T, N, d, x, wg, clean) && smoe_product(T, N, d, x, wn, raw) && smoe_size(T*K);
    requires \valid_read(noise + (0 .. T*N-1)) && \valid(std + (0 .. T*N-1)) && \valid(noisy + (0 .. T*N-1));
    requires \valid(index + (0 .. T*K-1)) && \valid(weight + (0 .. T*K-1)) && \valid(margin + (0 .. T-1)) &&
             \valid(value + (0 .. K-1));
    requires \separated(clean + (0 .. T*N-1), std + (0 .. T*N-1), noisy + (0 .. T*N-1));
    requires \separated(raw + (0 .. T*N-1), std + (0 .. T*N-1), noisy + (0 .. T*N-1));
    requires \separated(noise + (0 .. T*N-1), std + (0 .. T*N-1), noisy + (0 .. T*N-1));
    requires \separated(noisy + (0 .. T*N-1), index + (0 .. T*K-1), weight + (0 .. T*K-1), margin + (0 .. T-1),
                        value + (0 .. K-1));
    assigns clean[0 .. T*N-1], raw[0 .. T*N-1], std[0 .. T*N-1], noisy[0 .. T*N-1];
    assigns index[0 .. T*K-1], weight[0 .. T*K-1], margin[0 .. T-1], value[0 .. K-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_noisy(size_t T, size_t d, size_t N, size_t K, double epsilon, const double *x, const double *wg,
                            const double *wn, const double *noise, double *clean, double *raw, double *std,
                            double *noisy, size_t *index, double *weight, double *margin, double *value);

/* The noise and the selection are constants.  dx is one chain: the experts of Wg, then those of Wn.
 *   dx [T,d]  dwg [N,d]  dwn [N,d]  out    dnoisy [T,N]  draw [T,N]  dvalue [K]  scratch */
/*@ requires smoe_product(N, d, T, dnoisy, x, dwg) && smoe_product(N, d, T, draw, x, dwn);
    requires smoe_product(T, d, N, dnoisy, wg, dx) && smoe_product(T, d, N, draw, wn, dx) && smoe_size(T*K);
    requires \valid_read(noise + (0 .. T*N-1)) && \valid_read(raw + (0 .. T*N-1));
    requires \valid_read(index + (0 .. T*K-1)) && \valid_read(weight + (0 .. T*K-1)) &&
             \valid_read(dweight + (0 .. T*K-1));
    requires \valid(dnoisy + (0 .. T*N-1)) && \valid(draw + (0 .. T*N-1)) && \valid(dvalue + (0 .. K-1));
    requires \separated(index + (0 .. T*K-1), dnoisy + (0 .. T*N-1), dvalue + (0 .. K-1));
    requires \separated(weight + (0 .. T*K-1), dnoisy + (0 .. T*N-1), dvalue + (0 .. K-1));
    requires \separated(dweight + (0 .. T*K-1), dnoisy + (0 .. T*N-1), dvalue + (0 .. K-1));
    requires \separated(raw + (0 .. T*N-1), draw + (0 .. T*N-1));
    requires \separated(noise + (0 .. T*N-1), draw + (0 .. T*N-1));
    requires \separated(dnoisy + (0 .. T*N-1), draw + (0 .. T*N-1));
    assigns dx[0 .. T*d-1], dwg[0 .. N*d-1], dwn[0 .. N*d-1], dnoisy[0 .. T*N-1], draw[0 .. T*N-1], dvalue[0 .. K-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_noisy_vjp(size_t T, size_t d, size_t N, size_t K, const double *x, const double *wg,
                                const double *wn, const double *noise, const double *raw, const size_t *index,
                                const double *weight, const double *dweight, double *dx, double *dwg, double *dwn,
                                double *dnoisy, double *draw, double *dvalue);

/* (G.7) Sigmoid weights of one token:  I = TopK(r),  weight_j = sigmoid(r_{I_j})
 *
 *   r [N]
 *   index [K]  weight [K]  margin   out, as in G.2, but a weight does not depend on the other experts
 *   value [K]                       out: r_I
 *
 * Source: Csordas et al. 2023 (sigma-MoE; from memory, high confidence); spec G.7.
 */
/*@ requires \valid_read(r + (0 .. N-1));
    requires \valid(index + (0 .. K-1)) && \valid(weight + (0 .. K-1)) && \valid(margin) && \valid(value + (0 .. K-1));
    requires \separated(r + (0 .. N-1), index + (0 .. K-1), weight + (0 .. K-1), margin, value + (0 .. K-1));
    assigns index[0 .. K-1], weight[0 .. K-1], *margin, value[0 .. K-1];
    ensures K == 0 || K > N ==> \result == SMOE_EINVAL;
    ensures 0 < K <= N && !smoe_finites(r, N) ==> \result == SMOE_EDOM;
    ensures 0 < K <= N && smoe_finites(r, N) ==> \result == SMOE_OK;
    ensures \result == SMOE_OK ==> \forall integer j; 0 <= j < K ==> index[j] < N;
    ensures \result == SMOE_OK ==> \forall integer a, b; 0 <= a < b < K ==> smoe_before(r, index[a], index[b]);
    ensures \result == SMOE_OK ==>
              \forall integer i; 0 <= i < N && !smoe_taken(index, K, i) ==> smoe_before(r, index[K-1], i); */
smoe_status smoe_weights_sigmoid(size_t N, size_t K, const double *r,
                                 size_t *index, double *weight, double *margin, double *value);

/* (G.7) dr_{I_j} = dweight_j sigmoid'(r_{I_j}), 0 outside I.  dr [N] out;  dvalue [K] out: the same, by place */
/*@ requires \valid_read(index + (0 .. K-1)) && \valid_read(value + (0 .. K-1)) && \valid_read(dweight + (0 .. K-1));
    requires \valid(dr + (0 .. N-1)) && \valid(dvalue + (0 .. K-1));
    requires \separated(index + (0 .. K-1), dr + (0 .. N-1), dvalue + (0 .. K-1));
    requires \separated(value + (0 .. K-1), dr + (0 .. N-1), dvalue + (0 .. K-1));
    requires \separated(dweight + (0 .. K-1), dr + (0 .. N-1), dvalue + (0 .. K-1));
    assigns dr[0 .. N-1], dvalue[0 .. K-1];
    ensures K == 0 || K > N ==> \result == SMOE_EINVAL;
    ensures 0 < K <= N && \result == SMOE_OK ==> \forall integer j; 0 <= j < K ==> index[j] < N;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_weights_sigmoid_vjp(size_t N, size_t K, const size_t *index, const double *value,
                                     const double *dweight, double *dr, double *dvalue);

/* (G.7) The same, normalised:  weight_j = sigmoid(r_{I_j}) / S,  S = sum_l sigmoid(r_{I_l}) in the order of index
 *
 * Errors: SMOE_EDOM also if S is 0, because all selected sigmoids underflow (r below about -745).
 * Source: public code of the second CompeteSMoE paper (read); spec G.7.
 */
/*@ requires \valid_read(r + (0 .. N-1));
    requires \valid(index + (0 .. K-1)) && \valid(weight + (0 .. K-1)) && \valid(margin) && \valid(value + (0 .. K-1));
    requires \separated(r + (0 .. N-1), index + (0 .. K-1), weight + (0 .. K-1), margin, value + (0 .. K-1));
    assigns index[0 .. K-1], weight[0 .. K-1], *margin, value[0 .. K-1];
    ensures K == 0 || K > N ==> \result == SMOE_EINVAL;
    ensures 0 < K <= N && !smoe_finites(r, N) ==> \result == SMOE_EDOM;
    ensures 0 < K <= N && smoe_finites(r, N) ==> \result == SMOE_OK || \result == SMOE_EDOM;
    ensures \result == SMOE_OK ==> \forall integer j; 0 <= j < K ==> index[j] < N;
    ensures \result == SMOE_OK ==> \forall integer a, b; 0 <= a < b < K ==> smoe_before(r, index[a], index[b]);
    ensures \result == SMOE_OK ==>
              \forall integer i; 0 <= i < N && !smoe_taken(index, K, i) ==> smoe_before(r, index[K-1], i); */
smoe_status smoe_weights_sigmoid_norm(size_t N, size_t K, const double *r,
                                      size_t *index, double *weight, double *margin, double *value);

/* (G.7) dr_{I_j} = weight_j (dweight_j - <weight, dweight>) sigmoid(-r_{I_j}), 0 outside I.  dvalue [K] out */
/*@ requires \valid_read(index + (0 .. K-1)) && \valid_read(value + (0 .. K-1));
    requires \valid_read(weight + (0 .. K-1)) && \valid_read(dweight + (0 .. K-1));
    requires \valid(dr + (0 .. N-1)) && \valid(dvalue + (0 .. K-1));
    requires \separated(index + (0 .. K-1), dr + (0 .. N-1), dvalue + (0 .. K-1));
    requires \separated(value + (0 .. K-1), dr + (0 .. N-1), dvalue + (0 .. K-1));
    requires \separated(weight + (0 .. K-1), dr + (0 .. N-1), dvalue + (0 .. K-1));
    requires \separated(dweight + (0 .. K-1), dr + (0 .. N-1), dvalue + (0 .. K-1));
    assigns dr[0 .. N-1], dvalue[0 .. K-1];
    ensures K == 0 || K > N ==> \result == SMOE_EINVAL;
    ensures 0 < K <= N && \result == SMOE_OK ==> \forall integer j; 0 <= j < K ==> index[j] < N;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_weights_sigmoid_norm_vjp(size_t N, size_t K, const size_t *index, const double *value,
                                          const double *weight, const double *dweight, double *dr, double *dvalue);

/* (G.7) One of the two for each of T tokens. */
typedef enum { SMOE_SIGMOID_NORM, SMOE_SIGMOID_PLAIN } smoe_sigmoid_form;

/*   r [T,N]   index [T,K]  weight [T,K]  margin [T]  value [T,K]  out */
/*@ requires smoe_size(T*N) && smoe_size(T*K) && \valid_read(r + (0 .. T*N-1));
    requires \valid(index + (0 .. T*K-1)) && \valid(weight + (0 .. T*K-1)) && \valid(margin + (0 .. T-1)) &&
             \valid(value + (0 .. T*K-1));
    requires \separated(r + (0 .. T*N-1), index + (0 .. T*K-1), weight + (0 .. T*K-1), margin + (0 .. T-1),
                        value + (0 .. T*K-1));
    assigns index[0 .. T*K-1], weight[0 .. T*K-1], margin[0 .. T-1], value[0 .. T*K-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_sigmoid(smoe_sigmoid_form form, size_t T, size_t N, size_t K, const double *r,
                              size_t *index, double *weight, double *margin, double *value);

/*   dweight [T,K]   dr [T,N]  out   dvalue [K]  scratch */
/*@ requires smoe_size(T*N) && smoe_size(T*K);
    requires \valid_read(index + (0 .. T*K-1)) && \valid_read(value + (0 .. T*K-1)) &&
             \valid_read(weight + (0 .. T*K-1)) && \valid_read(dweight + (0 .. T*K-1));
    requires \valid(dr + (0 .. T*N-1)) && \valid(dvalue + (0 .. K-1));
    requires \separated(index + (0 .. T*K-1), dr + (0 .. T*N-1), dvalue + (0 .. K-1));
    requires \separated(value + (0 .. T*K-1), dr + (0 .. T*N-1), dvalue + (0 .. K-1));
    requires \separated(weight + (0 .. T*K-1), dr + (0 .. T*N-1), dvalue + (0 .. K-1));
    requires \separated(dweight + (0 .. T*K-1), dr + (0 .. T*N-1), dvalue + (0 .. K-1));
    assigns dr[0 .. T*N-1], dvalue[0 .. K-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_sigmoid_vjp(smoe_sigmoid_form form, size_t T, size_t N, size_t K, const size_t *index,
                                  const double *value, const double *weight, const double *dweight,
                                  double *dr, double *dvalue);

/* (G.8) SMoE-Dropout's gate, of one token: a frozen random router.  r = Wr x,  then G.2 on r
 *
 *   x [d]  wr [N,d]                 wr is never trained: it has no gradient; K is given by G.9's schedule
 *   r [N]                           out
 *   index [K]  weight [K]  margin   out
 *   value [K]                       out: r_I
 *
 * Source: Chen et al. 2023 (SMoE-Dropout) and its public code (read); spec G.8.
 */
/*@ requires smoe_product(1, N, d, x, wr, r);
    requires \valid(index + (0 .. K-1)) && \valid(weight + (0 .. K-1)) && \valid(margin) && \valid(value + (0 .. K-1));
    requires \separated(r + (0 .. N-1), index + (0 .. K-1), weight + (0 .. K-1), margin, value + (0 .. K-1));
    assigns r[0 .. N-1], index[0 .. K-1], weight[0 .. K-1], *margin, value[0 .. K-1];
    ensures d == 0 || K == 0 || K > N ==> \result == SMOE_EINVAL;
    ensures \result == SMOE_OK ==> smoe_finites(r, N);
    ensures \result == SMOE_OK ==> \forall integer j; 0 <= j < K ==> index[j] < N;
    ensures \result == SMOE_OK ==> \forall integer a, b; 0 <= a < b < K ==> smoe_before(r, index[a], index[b]);
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_frozen_token(size_t d, size_t N, size_t K, const double *x, const double *wr, double *r,
                                   size_t *index, double *weight, double *margin, double *value);

/* (G.8) dr as in G.2,  dx = Wr' dr: the frozen router passes gradient to the token.  dx [d]  dr [N]  dvalue [K]  out */
/*@ requires smoe_product(1, d, N, dr, wr, dx) && \valid(dr + (0 .. N-1)) && \valid(dvalue + (0 .. K-1));
    requires \valid_read(index + (0 .. K-1)) && \valid_read(weight + (0 .. K-1)) && \valid_read(dweight + (0 .. K-1));
    requires \separated(index + (0 .. K-1), dr + (0 .. N-1), dvalue + (0 .. K-1), dx + (0 .. d-1));
    requires \separated(weight + (0 .. K-1), dr + (0 .. N-1), dvalue + (0 .. K-1), dx + (0 .. d-1));
    requires \separated(dweight + (0 .. K-1), dr + (0 .. N-1), dvalue + (0 .. K-1), dx + (0 .. d-1));
    requires \separated(wr + (0 .. N*d-1), dr + (0 .. N-1), dvalue + (0 .. K-1), dx + (0 .. d-1));
    assigns dx[0 .. d-1], dr[0 .. N-1], dvalue[0 .. K-1];
    ensures d == 0 || K == 0 || K > N ==> \result == SMOE_EINVAL;
    ensures \result == SMOE_OK ==> smoe_finites(dx, d);
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_frozen_token_vjp(size_t d, size_t N, size_t K, const double *wr, const size_t *index,
                                       const double *weight, const double *dweight, double *dx, double *dr,
                                       double *dvalue);

/* (G.8) for each of T tokens:  x [T,d]  r [T,N]  index [T,K]  weight [T,K]  margin [T];  value [K] is scratch */
/*@ requires smoe_product(T, N, d, x, wr, r) && smoe_size(T*K);
    requires \valid(index + (0 .. T*K-1)) && \valid(weight + (0 .. T*K-1)) && \valid(margin + (0 .. T-1)) &&
             \valid(value + (0 .. K-1));
    requires \separated(r + (0 .. T*N-1), index + (0 .. T*K-1), weight + (0 .. T*K-1), margin + (0 .. T-1),
                        value + (0 .. K-1));
    assigns r[0 .. T*N-1], index[0 .. T*K-1], weight[0 .. T*K-1], margin[0 .. T-1], value[0 .. K-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_frozen(size_t T, size_t d, size_t N, size_t K, const double *x, const double *wr, double *r,
                             size_t *index, double *weight, double *margin, double *value);

/*   dweight [T,K]   dx [T,d]  out   dr [N]  dvalue [K]  scratch */
/*@ requires smoe_size(T*d) && smoe_size(N*d) && smoe_size(T*K);
    requires \valid_read(wr + (0 .. N*d-1)) && \valid_read(index + (0 .. T*K-1)) &&
             \valid_read(weight + (0 .. T*K-1)) && \valid_read(dweight + (0 .. T*K-1));
    requires \valid(dx + (0 .. T*d-1)) && \valid(dr + (0 .. N-1)) && \valid(dvalue + (0 .. K-1));
    requires \separated(index + (0 .. T*K-1), dr + (0 .. N-1), dvalue + (0 .. K-1), dx + (0 .. T*d-1));
    requires \separated(weight + (0 .. T*K-1), dr + (0 .. N-1), dvalue + (0 .. K-1), dx + (0 .. T*d-1));
    requires \separated(dweight + (0 .. T*K-1), dr + (0 .. N-1), dvalue + (0 .. K-1), dx + (0 .. T*d-1));
    requires \separated(wr + (0 .. N*d-1), dr + (0 .. N-1), dvalue + (0 .. K-1), dx + (0 .. T*d-1));
    assigns dx[0 .. T*d-1], dr[0 .. N-1], dvalue[0 .. K-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_frozen_vjp(size_t T, size_t d, size_t N, size_t K, const double *wr, const size_t *index,
                                 const double *weight, const double *dweight, double *dx, double *dr, double *dvalue);

/* What becomes of a half: 2.5 is 2 to even, 3 away from zero. */
typedef enum { SMOE_HALF_EVEN, SMOE_HALF_AWAY } smoe_half;

/* (G.9) How many experts a token has at a step:  k_i = round((k_max - k_min) t_i / steps) + k_min
 *
 *   step [n]   t_i is step_i clamped to 0 .. steps
 *   k [n]      out: k_min at the start, k_max from `steps` on
 *
 * In whole numbers, so without any rounding but the one that is asked for.
 * Errors: SMOE_EINVAL if k_min is 0, k_max < k_min, steps is 0, (k_max - k_min) steps does not fit a size_t, or the
 * rounding is unknown.
 * Source: public code of Chen et al. 2023 (read); spec G.9.
 */
/*@ requires \valid_read(step + (0 .. n-1)) && \valid(k + (0 .. n-1));
    requires \separated(step + (0 .. n-1), k + (0 .. n-1));
    assigns k[0 .. n-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL;
    ensures \result == SMOE_OK ==> \forall integer i; 0 <= i < n ==> k_min <= k[i] <= k_max;
    ensures \result == SMOE_OK ==> \forall integer i; 0 <= i < n && step[i] <= 0 ==> k[i] == k_min;
    ensures \result == SMOE_OK ==> \forall integer i; 0 <= i < n && step[i] >= steps ==> k[i] == k_max; */
smoe_status smoe_dropout_schedule(size_t n, const int64_t *step, size_t k_min, size_t k_max, size_t steps,
                                  smoe_half half, size_t *k);

/* (G.10) Capacity of GShard's two choices: all first choices in token order, then all second choices in token order
 *
 *   index [T,2]  each below N
 *   capacity     an expert takes at most that many; 0: any number
 *   kept [T,2]   in: not 0 where the choice is sent at all; out: 1 if its expert takes it, else 0
 *   count [N]    out: how many an expert takes
 *
 * Errors: SMOE_EDOM if an index is not below N; nothing is written.
 * Source: Lepikhin et al. 2020, Algorithm 1 (from memory, high confidence); spec G.10.
 */
/*@ requires T <= 0x7fffffffffffffff;
    requires \valid_read(index + (0 .. 2*T-1)) && \valid(kept + (0 .. 2*T-1)) && \valid(count + (0 .. N-1));
    requires \separated(index + (0 .. 2*T-1), kept + (0 .. 2*T-1), count + (0 .. N-1));
    assigns kept[0 .. 2*T-1], count[0 .. N-1];
    ensures (\exists integer a; 0 <= a < 2*T && index[a] >= N) ==> \result == SMOE_EDOM;
    ensures (\forall integer a; 0 <= a < 2*T ==> index[a] < N) ==> \result == SMOE_OK;
    ensures \result == SMOE_OK && capacity > 0 ==> \forall integer i; 0 <= i < N ==> count[i] <= capacity; */
smoe_status smoe_gshard_capacity(size_t T, size_t N, size_t capacity, const size_t *index, size_t *kept,
                                 size_t *count);

/* When the second choice is sent: 2 g2 > u, g2 > threshold, always, never (g2 its share of the two probabilities). */
typedef enum { SMOE_SECOND_RANDOM, SMOE_SECOND_THRESHOLD, SMOE_SECOND_ALL, SMOE_SECOND_NONE } smoe_second;
/* Whether the shares are formed before the drops, so that a drop loses weight, or over what is kept. */
typedef enum { SMOE_NORM_BEFORE, SMOE_NORM_AFTER } smoe_norm_when;

/* (G.10) GShard's top-2 gate:  p = softmax(r),  I = Top2(r),  share_j = p_{I_j} / (p_{I_0} + p_{I_1})
 *
 *   r [T,N]  u [T]       u: a draw for each token, read (and checked) whatever the policy
 *   index [T,2]          out
 *   weight [T,2]         out: share_j kept_j, or p_{I_j} kept_j / sum_l p_{I_l} kept_l (0 if none is kept)
 *   kept [T,2]           out: 1 or 0
 *   margin [T]           out: second minus third largest logit
 *   share [T,2]          out: kept for the vjp
 *   p [N]  count [N]     scratch
 *
 * Errors: SMOE_EINVAL also for N < 2 and unknown choices; SMOE_EDOM also for a threshold that is not finite.
 */
/*@ requires smoe_size(T*N) && T <= 0x7fffffffffffffff;
    requires \valid_read(r + (0 .. T*N-1)) && \valid_read(u + (0 .. T-1));
    requires \valid(index + (0 .. 2*T-1)) && \valid(weight + (0 .. 2*T-1)) && \valid(kept + (0 .. 2*T-1)) &&
             \valid(margin + (0 .. T-1)) && \valid(share + (0 .. 2*T-1));
    requires \valid(p + (0 .. N-1)) && \valid(count + (0 .. N-1));
    requires \separated(r + (0 .. T*N-1), index + (0 .. 2*T-1), share + (0 .. 2*T-1), margin + (0 .. T-1),
                        p + (0 .. N-1));
    requires \separated(index + (0 .. 2*T-1), kept + (0 .. 2*T-1), count + (0 .. N-1));
    assigns index[0 .. 2*T-1], weight[0 .. 2*T-1], kept[0 .. 2*T-1], margin[0 .. T-1], share[0 .. 2*T-1];
    assigns p[0 .. N-1], count[0 .. N-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_gshard(size_t T, size_t N, size_t capacity, smoe_second policy, double threshold,
                             smoe_norm_when norm, const double *r, const double *u, size_t *index, double *weight,
                             size_t *kept, double *margin, double *share, double *p, size_t *count);

/* What was selected and kept is constant:  dr of G.4 with the shares and the kept cotangents (before), with the weights
 * and all cotangents (after).   dweight [T,2]   dr [T,N]  out */
/*@ requires smoe_size(T*N) && T <= 0x7fffffffffffffff;
    requires \valid_read(index + (0 .. 2*T-1)) && \valid_read(kept + (0 .. 2*T-1)) &&
             \valid_read(share + (0 .. 2*T-1)) && \valid_read(weight + (0 .. 2*T-1)) &&
             \valid_read(dweight + (0 .. 2*T-1));
    requires \valid(dr + (0 .. T*N-1)) && \separated(index + (0 .. 2*T-1), dr + (0 .. T*N-1));
    requires \separated(share + (0 .. 2*T-1), dr + (0 .. T*N-1));
    requires \separated(weight + (0 .. 2*T-1), dr + (0 .. T*N-1));
    assigns dr[0 .. T*N-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_gshard_vjp(size_t T, size_t N, smoe_norm_when norm, const size_t *index, const size_t *kept,
                                 const double *share, const double *weight, const double *dweight, double *dr);

/* (G.11) The router's weights out of a frozen hypernetwork:  z = ReLU(V1 e),  Wr = V2 z
 *
 *   e [m]  v1 [g,m]  v2 [n,g]   n = N d: row i d + c of V2 makes Wr[i,c]
 *   z [g]                       out: kept for the vjp
 *   wr [n]                      out
 *
 * Source: Do et al. 2023 (HyperRouter; from memory, high confidence for e trained and V frozen); spec G.11.
 */
/*@ requires smoe_product(1, g, m, e, v1, z) && smoe_product(1, n, g, z, v2, wr);
    requires \separated(e + (0 .. m-1), wr + (0 .. n-1)) && \separated(v1 + (0 .. g*m-1), wr + (0 .. n-1));
    requires \separated(v2 + (0 .. n*g-1), z + (0 .. g-1));
    assigns z[0 .. g-1], wr[0 .. n-1];
    ensures m == 0 || g == 0 ==> \result == SMOE_EINVAL;
    ensures \result == SMOE_OK ==> smoe_finites(wr, n);
    ensures \result == SMOE_OK ==> \forall integer a; 0 <= a < g ==> z[a] >= 0;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_hyper_weights(size_t m, size_t g, size_t n, const double *e, const double *v1, const double *v2,
                               double *z, double *wr);

/* (G.11) dz = V2' dWr (rows ascending), 0 where z = 0,  de = V1' dz.  de [m]  dz [g]  out */
/*@ requires smoe_product(1, g, n, dwr, v2, dz) && smoe_product(1, m, g, dz, v1, de) && \valid_read(z + (0 .. g-1));
    requires \separated(z + (0 .. g-1), dz + (0 .. g-1), de + (0 .. m-1));
    requires \separated(dwr + (0 .. n-1), de + (0 .. m-1)) && \separated(v2 + (0 .. n*g-1), de + (0 .. m-1));
    requires \separated(v1 + (0 .. g*m-1), dz + (0 .. g-1));
    assigns de[0 .. m-1], dz[0 .. g-1];
    ensures m == 0 || g == 0 ==> \result == SMOE_EINVAL;
    ensures \result == SMOE_OK ==> smoe_finites(de, m);
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_hyper_weights_vjp(size_t m, size_t g, size_t n, const double *v1, const double *v2, const double *z,
                                   const double *dwr, double *de, double *dz);

/* (G.11) HyperRouter's gate:  r_t = Wr x_t.   x [T,d]   r [T,N]  z [g]  wr [N,d]  out */
/*@ requires smoe_product(1, g, m, e, v1, z) && smoe_product(1, N*d, g, z, v2, wr) && smoe_product(T, N, d, x, wr, r);
    requires \separated(e + (0 .. m-1), wr + (0 .. N*d-1)) && \separated(v1 + (0 .. g*m-1), wr + (0 .. N*d-1));
    requires \separated(v2 + (0 .. N*d*g-1), z + (0 .. g-1));
    assigns r[0 .. T*N-1], z[0 .. g-1], wr[0 .. N*d-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_hyper(size_t T, size_t d, size_t N, size_t m, size_t g, const double *x, const double *e,
                            const double *v1, const double *v2, double *r, double *z, double *wr);

/* dx = Wr' dr,  dWr = sum_t dr_t x_t' (tokens ascending),  then as above.
 *   dx [T,d]  de [m]  out   dwr [N,d]  dz [g]  scratch */
/*@ requires smoe_product(T, d, N, dr, wr, dx) && smoe_product(N, d, T, dr, x, dwr);
    requires smoe_product(1, g, N*d, dwr, v2, dz) && smoe_product(1, m, g, dz, v1, de) && \valid_read(z + (0 .. g-1));
    requires \separated(z + (0 .. g-1), dz + (0 .. g-1), de + (0 .. m-1));
    requires \separated(dwr + (0 .. N*d-1), de + (0 .. m-1)) && \separated(v2 + (0 .. N*d*g-1), de + (0 .. m-1));
    requires \separated(v1 + (0 .. g*m-1), dz + (0 .. g-1));
    assigns dx[0 .. T*d-1], de[0 .. m-1], dwr[0 .. N*d-1], dz[0 .. g-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_hyper_vjp(size_t T, size_t d, size_t N, size_t m, size_t g, const double *x, const double *v1,
                                const double *v2, const double *z, const double *wr, const double *dr, double *dx,
                                double *de, double *dwr, double *dz);

/* (G.12) Direction of a vector:  u = x / |x|, and 0 where |x| = 0
 *
 *   x     [d]
 *   norm  out: |x| by N.24
 *   u     [d]  out
 *
 * Errors: as above, with d = 0 for SMOE_EINVAL.  Source: Chi et al. 2022 (XMoE), eq. (5); spec G.12.
 */
/*@ requires \valid_read(x + (0 .. d-1)) && \valid(norm) && \valid(u + (0 .. d-1));
    requires \separated(x + (0 .. d-1), norm, u + (0 .. d-1));
    assigns *norm, u[0 .. d-1];
    ensures d == 0 ==> \result == SMOE_EINVAL;
    ensures d > 0 && !smoe_finites(x, d) ==> \result == SMOE_EDOM;
    ensures d > 0 && smoe_finites(x, d) ==> \result == SMOE_OK || \result == SMOE_EOVRFLW; */
smoe_status smoe_unit(size_t d, const double *x, double *norm, double *u);

/* dx = (du - <u, du> u) / |x|, and 0 where |x| = 0.  norm and u as the forward left them.  dx [d] out */
/*@ requires \valid_read(u + (0 .. d-1)) && \valid_read(du + (0 .. d-1)) && \valid(dx + (0 .. d-1));
    requires \separated(u + (0 .. d-1), dx + (0 .. d-1)) && \separated(du + (0 .. d-1), dx + (0 .. d-1));
    assigns dx[0 .. d-1];
    ensures d == 0 ==> \result == SMOE_EINVAL;
    ensures d > 0 && !(smoe_finites(u, d) && smoe_finites(du, d) && smoe_finite(norm) && norm >= 0) ==>
              \result == SMOE_EDOM;
    ensures d > 0 && smoe_finites(u, d) && smoe_finites(du, d) && smoe_finite(norm) && norm >= 0 ==>
              \result == SMOE_OK || \result == SMOE_EOVRFLW; */
smoe_status smoe_unit_vjp(size_t d, double norm, const double *u, const double *du, double *dx);

/* What the score of an expert compares: the token's direction, or the token as it is (the public code's "cosine"). */
typedef enum { SMOE_COSINE_NORMALISED, SMOE_COSINE_RAW } smoe_cosine_input;

/* Sizes and inputs of the cosine scores, and what their forward keeps for the vjp. */
typedef struct {
    smoe_cosine_input input;
    size_t T, c, N;
    double norm;         /* a factor on every score, above 0 */
    const double *z, *e; /* [T,c] [N,c] */
} smoe_cosine_in;

typedef struct {
    double *zn, *u; /* [T] [T,c]  norms of the tokens and what is compared: directions, or copies */
    double *en, *v; /* [N] [N,c]  norms of the embeddings and their directions */
} smoe_cosine_kept;

/* (G.12) Cosine scores:  s_ti = norm <u_t, v_i>,  v_i = e_i / |e_i|,  u_t = z_t / |z_t|, or z_t if raw
 *
 *   s [T,N]  out
 *
 * SMOE_EINVAL if c or N is 0; SMOE_EDOM if norm is not above 0.
 */
/*@ requires \valid_read(in) && \valid_read(kept);
    requires \let T = in->T; \let c = in->c; \let N = in->N;
             smoe_product(T, N, c, kept->u, kept->v, s) &&
             \valid_read(in->z + (0 .. T*c-1)) && \valid_read(in->e + (0 .. N*c-1)) &&
             \valid(kept->zn + (0 .. T-1)) && \valid(kept->u + (0 .. T*c-1)) &&
             \valid(kept->en + (0 .. N-1)) && \valid(kept->v + (0 .. N*c-1)) &&
             \separated(in->z + (0 .. T*c-1), kept->zn + (0 .. T-1), kept->u + (0 .. T*c-1)) &&
             \separated(in->e + (0 .. N*c-1), kept->en + (0 .. N-1), kept->v + (0 .. N*c-1));
    assigns kept->zn[0 .. in->T-1], kept->u[0 .. in->T*in->c-1], kept->en[0 .. in->N-1],
            kept->v[0 .. in->N*in->c-1], s[0 .. in->T*in->N-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_cosine_scores(const smoe_cosine_in *in, const smoe_cosine_kept *kept, double *s);

/* dz, de for ds [T,N]: du_t = norm sum_i ds_ti v_i (i ascending), dv_i = norm sum_t ds_ti u_t (t ascending), then the
 * gradient of the directions.  dz [T,c]  de [N,c]  out   work [T*N + (T+N)*c]  scratch */
/*@ requires \valid_read(in) && \valid_read(kept);
    requires \let T = in->T; \let c = in->c; \let N = in->N; \let room = work + (0 .. T*N+T*c+N*c-1);
             smoe_size(T*N + T*c + N*c) && \valid_read(in->z + (0 .. T*c-1)) && \valid_read(in->e + (0 .. N*c-1)) &&
             \valid_read(kept->zn + (0 .. T-1)) && \valid_read(kept->u + (0 .. T*c-1)) &&
             \valid_read(kept->en + (0 .. N-1)) && \valid_read(kept->v + (0 .. N*c-1)) &&
             \valid_read(ds + (0 .. T*N-1)) && \valid(dz + (0 .. T*c-1)) && \valid(de + (0 .. N*c-1)) &&
             \valid(room) && \separated(room, dz + (0 .. T*c-1), de + (0 .. N*c-1)) &&
             \separated(room, kept->u + (0 .. T*c-1)) && \separated(room, kept->v + (0 .. N*c-1)) &&
             \separated(kept->u + (0 .. T*c-1), dz + (0 .. T*c-1)) &&
             \separated(kept->v + (0 .. N*c-1), de + (0 .. N*c-1));
    assigns dz[0 .. in->T*in->c-1], de[0 .. in->N*in->c-1],
            work[0 .. in->T*in->N+in->T*in->c+in->N*in->c-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_cosine_scores_vjp(const smoe_cosine_in *in, const smoe_cosine_kept *kept, const double *ds, double *dz,
                                   double *de, double *work);

/* (G.12) Weights of one token by a softmax with temperature:  I = TopK(s),  q = s / tau,  p = softmax(q),
 * weight_j = p_{I_j}
 *
 *   s [N]   tau: above 0
 *   index [K]  weight [K]  margin   out, margin on s
 *   q [N]  p [N]                    out: kept for the vjp
 *
 * Errors: also SMOE_EDOM if tau is not above 0.  Source: Chi et al. 2022 (XMoE), eqs. (4) and (6); spec G.12.
 */
/*@ requires \valid_read(s + (0 .. N-1));
    requires \valid(index + (0 .. K-1)) && \valid(weight + (0 .. K-1)) && \valid(margin);
    requires \valid(q + (0 .. N-1)) && \valid(p + (0 .. N-1));
    requires \separated(s + (0 .. N-1), index + (0 .. K-1), weight + (0 .. K-1), margin, q + (0 .. N-1),
                        p + (0 .. N-1));
    assigns index[0 .. K-1], weight[0 .. K-1], *margin, q[0 .. N-1], p[0 .. N-1];
    ensures K == 0 || K > N ==> \result == SMOE_EINVAL;
    ensures 0 < K <= N && !(smoe_finites(s, N) && smoe_finite(tau) && tau > 0) ==> \result == SMOE_EDOM;
    ensures 0 < K <= N && smoe_finites(s, N) && smoe_finite(tau) && tau > 0 ==>
              \result == SMOE_OK || \result == SMOE_EOVRFLW;
    ensures \result == SMOE_OK ==> \forall integer j; 0 <= j < K ==> index[j] < N;
    ensures \result == SMOE_OK ==> \forall integer a, b; 0 <= a < b < K ==> smoe_before(s, index[a], index[b]);
    ensures \result == SMOE_OK ==>
              \forall integer i; 0 <= i < N && !smoe_taken(index, K, i) ==> smoe_before(s, index[K-1], i); */
smoe_status smoe_xmoe_softmax(size_t N, size_t K, double tau, const double *s, size_t *index, double *weight,
                              double *margin, double *q, double *p);

/* dq = softmax's gradient of dp (dp_{I_j} = dweight_j, 0 outside I),  dtau = -<dq, q> / tau,  ds = dq / tau.
 * ds [N]  dtau  out   dp [N]  scratch */
/*@ requires \valid_read(index + (0 .. K-1)) && \valid_read(q + (0 .. N-1)) && \valid_read(p + (0 .. N-1)) &&
             \valid_read(dweight + (0 .. K-1));
    requires \valid(ds + (0 .. N-1)) && \valid(dtau) && \valid(dp + (0 .. N-1));
    requires \separated(index + (0 .. K-1), ds + (0 .. N-1), dtau, dp + (0 .. N-1));
    requires \separated(q + (0 .. N-1), ds + (0 .. N-1), dtau, dp + (0 .. N-1));
    requires \separated(p + (0 .. N-1), ds + (0 .. N-1), dtau, dp + (0 .. N-1));
    requires \separated(dweight + (0 .. K-1), ds + (0 .. N-1), dtau, dp + (0 .. N-1));
    assigns ds[0 .. N-1], *dtau, dp[0 .. N-1];
    ensures K == 0 || K > N ==> \result == SMOE_EINVAL; */
smoe_status smoe_xmoe_softmax_vjp(size_t N, size_t K, double tau, const size_t *index, const double *q, const double *p,
                                  const double *dweight, double *ds, double *dtau, double *dp);

/* (G.12) Weights of one token by sigmoids with temperature:  I = TopK(s),  q = s / tau,  weight_j = sigmoid(q_{I_j})
 * The arguments are those of the softmax, without p. */
/*@ requires \valid_read(s + (0 .. N-1));
    requires \valid(index + (0 .. K-1)) && \valid(weight + (0 .. K-1)) && \valid(margin) && \valid(q + (0 .. N-1));
    requires \separated(s + (0 .. N-1), index + (0 .. K-1), weight + (0 .. K-1), margin, q + (0 .. N-1));
    assigns index[0 .. K-1], weight[0 .. K-1], *margin, q[0 .. N-1];
    ensures K == 0 || K > N ==> \result == SMOE_EINVAL;
    ensures 0 < K <= N && !(smoe_finites(s, N) && smoe_finite(tau) && tau > 0) ==> \result == SMOE_EDOM;
    ensures 0 < K <= N && smoe_finites(s, N) && smoe_finite(tau) && tau > 0 ==>
              \result == SMOE_OK || \result == SMOE_EOVRFLW;
    ensures \result == SMOE_OK ==> \forall integer j; 0 <= j < K ==> index[j] < N;
    ensures \result == SMOE_OK ==> \forall integer a, b; 0 <= a < b < K ==> smoe_before(s, index[a], index[b]);
    ensures \result == SMOE_OK ==>
              \forall integer i; 0 <= i < N && !smoe_taken(index, K, i) ==> smoe_before(s, index[K-1], i); */
smoe_status smoe_xmoe_sigmoid(size_t N, size_t K, double tau, const double *s, size_t *index, double *weight,
                              double *margin, double *q);

/* dq_{I_j} = sigmoid'(q_{I_j}) dweight_j, 0 outside I,  dtau = -<dq, q> / tau,  ds = dq / tau.  ds [N]  dtau  out */
/*@ requires \valid_read(index + (0 .. K-1)) && \valid_read(q + (0 .. N-1)) && \valid_read(dweight + (0 .. K-1));
    requires \valid(ds + (0 .. N-1)) && \valid(dtau);
    requires \separated(index + (0 .. K-1), ds + (0 .. N-1), dtau);
    requires \separated(q + (0 .. N-1), ds + (0 .. N-1), dtau);
    requires \separated(dweight + (0 .. K-1), ds + (0 .. N-1), dtau);
    assigns ds[0 .. N-1], *dtau;
    ensures K == 0 || K > N ==> \result == SMOE_EINVAL; */
smoe_status smoe_xmoe_sigmoid_vjp(size_t N, size_t K, double tau, const size_t *index, const double *q,
                                  const double *dweight, double *ds, double *dtau);

/* The whole gate of XMoE for T tokens. */
typedef enum { SMOE_XMOE_SOFTMAX, SMOE_XMOE_SIGMOID } smoe_xmoe_gate;

typedef struct {
    smoe_xmoe_gate gate;
    smoe_cosine_input input;
    size_t T, d, c, N, K;
    double norm, tau;
    const double *x, *w, *e; /* [T,d] [c,d] [N,c] */
} smoe_xmoe_in;

typedef struct {
    size_t *index;           /* [T,K] */
    double *weight, *margin; /* [T,K] [T] */
    double *s;               /* [T,N] */
    double *z;               /* [T,c]  W x, kept for the vjp, as the rest */
    double *q, *p;           /* [T,N]  s / tau and its softmax (not written by the sigmoid) */
    smoe_cosine_kept cosine;
} smoe_xmoe_out;

typedef struct {
    double *x, *w, *e, *tau; /* shapes as in smoe_xmoe_in; tau is one number */
} smoe_xmoe_grad;

/* (G.12) XMoE:  z = W x,  s by the cosine of z and e,  I and weights by G.12's softmax or sigmoid */
smoe_status smoe_gate_xmoe(const smoe_xmoe_in *in, const smoe_xmoe_out *out);

/* dz, de from the scores, dW = sum_t dz_t x_t', dx = W' dz;  dtau is the sum of the tokens' shares, t ascending.
 *   dweight [T,K]   work [2*T*N + 2*T*c + N*c]  scratch */
smoe_status smoe_gate_xmoe_vjp(const smoe_xmoe_in *in, const smoe_xmoe_out *out, const double *dweight,
                               const smoe_xmoe_grad *grad, double *work);

/* (G.13) Damped direction:  u = x / (|x| + tau)
 *
 *   x     [d]   tau: not negative
 *   norm  out: |x|
 *   u     [d]  out
 *
 * Errors: SMOE_EINVAL if d = 0; SMOE_EDOM also if tau < 0 or |x| + tau = 0.
 * Source: Nguyen et al. 2024 (perturbed cosine router), from memory; spec G.13.
 */
/*@ requires \valid_read(x + (0 .. d-1)) && \valid(norm) && \valid(u + (0 .. d-1));
    requires \separated(x + (0 .. d-1), norm, u + (0 .. d-1));
    assigns *norm, u[0 .. d-1];
    ensures d == 0 ==> \result == SMOE_EINVAL;
    ensures d > 0 && !(smoe_finites(x, d) && smoe_finite(tau) && tau >= 0) ==> \result == SMOE_EDOM;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_damped(size_t d, double tau, const double *x, double *norm, double *u);

/* dx = (du - <u, du> n) / (|x| + tau),  n = x / |x|, and 0 where |x| = 0.  dx [d] out */
/*@ requires \valid_read(x + (0 .. d-1)) && \valid_read(u + (0 .. d-1)) && \valid_read(du + (0 .. d-1));
    requires \valid(dx + (0 .. d-1));
    requires \separated(x + (0 .. d-1), dx + (0 .. d-1)) && \separated(u + (0 .. d-1), dx + (0 .. d-1)) &&
             \separated(du + (0 .. d-1), dx + (0 .. d-1));
    assigns dx[0 .. d-1];
    ensures d == 0 ==> \result == SMOE_EINVAL;
    ensures d > 0 && !(smoe_finites(x, d) && smoe_finites(u, d) && smoe_finites(du, d) && smoe_finite(norm) &&
              norm >= 0 && smoe_finite(tau) && tau >= 0) ==> \result == SMOE_EDOM;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_damped_vjp(size_t d, double tau, const double *x, double norm, const double *u, const double *du,
                            double *dx);

/* What G.13 keeps for its vjp. */
typedef struct {
    double *xn, *u; /* [T] [T,d] */
    double *bn, *v; /* [N] [N,d] */
} smoe_perturbed_kept;

/* (G.13) Perturbed cosine:  r_ti = <u_t, v_i>,  u_t = x_t / (|x_t| + tau2),  v_i = beta_i / (|beta_i| + tau1)
 *
 *   x [T,d]  beta [N,d]
 *   r [T,N]  out
 *
 * beta is read and never written: two evaluations agree.  SMOE_EDOM also if tau1 or tau2 is negative, or a norm and its
 * tau add up to 0 (a zero vector without damping).
 */
/*@ requires \valid_read(kept) && smoe_product(T, N, d, kept->u, kept->v, r);
    requires \valid_read(x + (0 .. T*d-1)) && \valid_read(beta + (0 .. N*d-1));
    requires \valid(kept->xn + (0 .. T-1)) && \valid(kept->u + (0 .. T*d-1)) && \valid(kept->bn + (0 .. N-1)) &&
             \valid(kept->v + (0 .. N*d-1));
    requires \separated(x + (0 .. T*d-1), kept->xn + (0 .. T-1), kept->u + (0 .. T*d-1));
    requires \separated(beta + (0 .. N*d-1), kept->bn + (0 .. N-1), kept->v + (0 .. N*d-1));
    assigns kept->xn[0 .. T-1], kept->u[0 .. T*d-1], kept->bn[0 .. N-1], kept->v[0 .. N*d-1], r[0 .. T*N-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_perturbed(size_t T, size_t d, size_t N, double tau1, double tau2, const double *x,
                                const double *beta, const smoe_perturbed_kept *kept, double *r);

/* du_t = sum_i dr_ti v_i, dv_i = sum_t dr_ti u_t, then the gradient of the damped directions.
 *   dx [T,d]  dbeta [N,d]  out   work [(T+N)*d]  scratch */
/*@ requires \valid_read(kept) && smoe_size((T + N)*d) && smoe_size(T*N) && smoe_size(T*d) && smoe_size(N*d);
    requires \valid_read(x + (0 .. T*d-1)) && \valid_read(beta + (0 .. N*d-1)) && \valid_read(dr + (0 .. T*N-1));
    requires \valid_read(kept->xn + (0 .. T-1)) && \valid_read(kept->u + (0 .. T*d-1)) &&
             \valid_read(kept->bn + (0 .. N-1)) && \valid_read(kept->v + (0 .. N*d-1));
    requires \valid(dx + (0 .. T*d-1)) && \valid(dbeta + (0 .. N*d-1)) && \valid(work + (0 .. T*d+N*d-1));
    requires \separated(work + (0 .. T*d+N*d-1), dx + (0 .. T*d-1), dbeta + (0 .. N*d-1));
    requires \separated(work + (0 .. T*d+N*d-1), dr + (0 .. T*N-1));
    requires \separated(work + (0 .. T*d+N*d-1), kept->u + (0 .. T*d-1));
    requires \separated(work + (0 .. T*d+N*d-1), kept->v + (0 .. N*d-1));
    requires \separated(dx + (0 .. T*d-1), x + (0 .. T*d-1)) && \separated(dx + (0 .. T*d-1), kept->u + (0 .. T*d-1));
    requires \separated(dbeta + (0 .. N*d-1), beta + (0 .. N*d-1));
    requires \separated(dbeta + (0 .. N*d-1), kept->v + (0 .. N*d-1));
    assigns dx[0 .. T*d-1], dbeta[0 .. N*d-1], work[0 .. T*d+N*d-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_perturbed_vjp(size_t T, size_t d, size_t N, double tau1, double tau2, const double *x,
                                    const double *beta, const smoe_perturbed_kept *kept, const double *dr, double *dx,
                                    double *dbeta, double *work);

/* (G.14) StableMoE's choice and weight for one token:  a = argmax chooser,  weight = sigmoid(s_a)
 *
 *   s [N]        the scores that weigh
 *   chooser [N]  the scores that choose: s itself in stage 1, those of the distilled router in stage 2
 *   index, weight, margin   out, margin on chooser
 *
 * Source: Dai et al. 2022 (StableMoE) and its public code; spec G.14.
 */
/*@ requires N > 0 ==> \valid_read(s + (0 .. N-1)) && \valid_read(chooser + (0 .. N-1));
    requires \valid(index) && \valid(weight) && \valid(margin);
    requires \separated(s + (0 .. N-1), index, weight, margin);
    requires \separated(chooser + (0 .. N-1), index, weight, margin);
    assigns *index, *weight, *margin;
    ensures N == 0 ==> \result == SMOE_EINVAL;
    ensures N > 0 && !(smoe_finites(s, N) && smoe_finites(chooser, N)) ==> \result == SMOE_EDOM;
    ensures N > 0 && smoe_finites(s, N) && smoe_finites(chooser, N) ==> \result == SMOE_OK;
    ensures \result == SMOE_OK ==> *index < N;
    ensures \result == SMOE_OK ==> \forall integer i; 0 <= i < N && i != *index ==> smoe_before(chooser, *index, i); */
smoe_status smoe_stable_choice(size_t N, const double *s, const double *chooser, size_t *index, double *weight,
                               double *margin);

/* ds_a = sigmoid'(s_a) dweight, 0 elsewhere; the chooser has no gradient.  ds [N] out */
/*@ requires \valid_read(s + (0 .. N-1)) && \valid(ds + (0 .. N-1));
    requires \separated(s + (0 .. N-1), ds + (0 .. N-1));
    assigns ds[0 .. N-1];
    ensures N == 0 ==> \result == SMOE_EINVAL;
    ensures N > 0 && !(a < N && smoe_finites(s, N) && smoe_finite(dweight)) ==> \result == SMOE_EDOM;
    ensures N > 0 && a < N && smoe_finites(s, N) && smoe_finite(dweight) ==> \result == SMOE_OK; */
smoe_status smoe_stable_choice_vjp(size_t N, const double *s, size_t a, double dweight, double *ds);

typedef enum { SMOE_STABLE_LEARNING, SMOE_STABLE_FROZEN } smoe_stable_stage; /* stage 1 and stage 2 */

/* (G.14) StableMoE for T tokens:  s_ti = <x_t, e_i>,  a_t = argmax s_t (stage 1) or argmax shat_t (stage 2)
 *
 *   x [T,d]  e [N,d]  shat [T,N] (must be finite in stage 1 too)
 *   s [T,N]  index [T]  weight [T]  margin [T]  out
 */
/*@ requires smoe_product(T, N, d, x, e, s) && \valid_read(shat + (0 .. T*N-1));
    requires \valid(index + (0 .. T-1)) && \valid(weight + (0 .. T-1)) && \valid(margin + (0 .. T-1));
    requires \separated(s + (0 .. T*N-1), index + (0 .. T-1), weight + (0 .. T-1), margin + (0 .. T-1));
    requires \separated(shat + (0 .. T*N-1), index + (0 .. T-1), weight + (0 .. T-1), margin + (0 .. T-1));
    assigns s[0 .. T*N-1], index[0 .. T-1], weight[0 .. T-1], margin[0 .. T-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW;
    ensures \result == SMOE_OK ==> \forall integer t; 0 <= t < T ==> index[t] < N; */
smoe_status smoe_gate_stable(smoe_stable_stage stage, size_t T, size_t d, size_t N, const double *x, const double *e,
                             const double *shat, double *s, size_t *index, double *weight, double *margin);

/*   dweight [T]   dx [T,d]  de [N,d]  out   work [T*N]  scratch */
/*@ requires smoe_product(N, d, T, work, x, de) && smoe_product(T, d, N, work, e, dx);
    requires \valid_read(s + (0 .. T*N-1)) && \valid_read(index + (0 .. T-1)) && \valid_read(dweight + (0 .. T-1));
    requires \valid(work + (0 .. T*N-1)) && \separated(s + (0 .. T*N-1), work + (0 .. T*N-1));
    assigns dx[0 .. T*d-1], de[0 .. N*d-1], work[0 .. T*N-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_stable_vjp(size_t T, size_t d, size_t N, const double *x, const double *e, const double *s,
                                 const size_t *index, const double *dweight, double *dx, double *de, double *work);

/* (G.15) Cross entropy of one token:  loss = -log softmax(s)_a = lse(s) - s_a
 *
 *   s [N]   a: the target
 *   lse     out: kept for the vjp
 *   loss    out
 */
/*@ requires \valid_read(s + (0 .. N-1)) && \valid(lse) && \valid(loss);
    requires \separated(s + (0 .. N-1), lse, loss);
    assigns *lse, *loss;
    ensures N == 0 ==> \result == SMOE_EINVAL;
    ensures N > 0 && !(a < N && smoe_finites(s, N)) ==> \result == SMOE_EDOM;
    ensures N > 0 && a < N && smoe_finites(s, N) ==> \result == SMOE_OK || \result == SMOE_EOVRFLW; */
smoe_status smoe_cross_entropy(size_t N, const double *s, size_t a, double *lse, double *loss);

/* ds_i = dloss exp(s_i - lse), and then ds_a = ds_a - dloss.  ds [N] out */
/*@ requires \valid_read(s + (0 .. N-1)) && \valid(ds + (0 .. N-1));
    requires \separated(s + (0 .. N-1), ds + (0 .. N-1));
    assigns ds[0 .. N-1];
    ensures N == 0 ==> \result == SMOE_EINVAL;
    ensures N > 0 && !(a < N && smoe_finites(s, N) && smoe_finite(lse) && smoe_finite(dloss)) ==>
              \result == SMOE_EDOM; */
smoe_status smoe_cross_entropy_vjp(size_t N, const double *s, size_t a, double lse, double dloss, double *ds);

/* Sizes and inputs of the distillation. */
typedef struct {
    size_t T, V, m, N;
    const size_t *token, *target; /* [T] [T]  below V, below N */
    const double *table, *ehat;   /* [V,m] [N,m] */
} smoe_stable_distill_in;

/* (G.15) StableMoE's distilled router:  shat_ti = <table_{token_t}, ehat_i>,
 * loss = sum_t -log softmax(shat_t)_{target_t}
 *
 *   h [T,m]  out: the tokens' rows of the table   shat [T,N]  out   lse [T]  out: kept for the vjp
 *   loss     out
 *
 * Errors: SMOE_EINVAL if V, m or N is 0; SMOE_EDOM for an index out of range.
 */
smoe_status smoe_stable_distill(const smoe_stable_distill_in *in, double *h, double *shat, double *lse, double *loss);

/* dshat_t by the cross entropy, dehat_i = sum_t dshat_ti h_t, dh_t = sum_i dshat_ti ehat_i, dtable = sum of its tokens'
 * dh, t ascending.   dtable [V,m]  dehat [N,m]  out   work [T*(N+m)]  scratch */
smoe_status smoe_stable_distill_vjp(const smoe_stable_distill_in *in, const double *h, const double *shat,
                                    const double *lse, double dloss, double *dtable, double *dehat, double *work);

/* The same with the mean over the tokens: the sum divided by T.  SMOE_EINVAL if T = 0. */
smoe_status smoe_stable_distill_mean(const smoe_stable_distill_in *in, double *h, double *shat, double *lse,
                                     double *loss);
smoe_status smoe_stable_distill_mean_vjp(const smoe_stable_distill_in *in, const double *h, const double *shat,
                                         const double *lse, double dloss, double *dtable, double *dehat, double *work);

/* What a score counts as where its group was not chosen. */
#define SMOE_OUTSIDE (-0x1p100)

/* (G.16) Score of a group of n experts:  the sum of its two largest b, or its b if it has one */
/*@ requires n > 0 && \valid_read(b + (0 .. n-1));
    assigns \nothing; */
double smoe_group_score(size_t n, const double *b);

/* (G.16) Group limit:  of G groups of N/G neighbours, the `kept` best by score keep b, the others get SMOE_OUTSIDE
 *
 *   b [N]          below 2^99 in size
 *   score [G]      out
 *   group [kept]   out: the groups chosen, best first, lowest among equals
 *   value [kept]   out: their scores
 *   limited [N]    out
 *
 * Errors: SMOE_EINVAL if G is 0 or does not divide N, or kept is 0 or above G; SMOE_EDOM.
 */
/*@ requires \valid_read(b + (0 .. N-1)) && \valid(score + (0 .. G-1)) && \valid(group + (0 .. kept-1));
    requires \valid(value + (0 .. kept-1)) && \valid(limited + (0 .. N-1));
    requires \separated(b + (0 .. N-1), score + (0 .. G-1), group + (0 .. kept-1), value + (0 .. kept-1),
                        limited + (0 .. N-1));
    assigns score[0 .. G-1], group[0 .. kept-1], value[0 .. kept-1], limited[0 .. N-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM;
    ensures N == 0 || G == 0 || kept == 0 || kept > G ==> \result == SMOE_EINVAL;
    ensures \result == SMOE_OK ==> N % G == 0 && \forall integer j; 0 <= j < kept ==> group[j] < G;
    ensures \result == SMOE_OK ==> \forall integer a, b; 0 <= a < b < kept ==> smoe_before(score, group[a], group[b]);
    ensures \result == SMOE_OK ==>
              \forall integer g; 0 <= g < G && !smoe_taken(group, kept, g) ==> smoe_before(score, group[kept-1], g); */
smoe_status smoe_group_limit(size_t N, size_t G, size_t kept, const double *b, double *score, size_t *group,
                             double *value, double *limited);

/* (G.16) Weights of the chosen:  weight_j = (s_{I_j} / S) scale,  S = sum_l s_{I_l} in the order of index
 *
 *   s [N]  index [K], each below N
 *   weight [K]  out
 *
 * Errors: SMOE_EINVAL, SMOE_EDOM as above; also SMOE_EDOM if S is not above 0.
 */
/*@ requires \valid_read(s + (0 .. N-1)) && \valid_read(index + (0 .. K-1)) && \valid(weight + (0 .. K-1));
    requires \separated(s + (0 .. N-1), weight + (0 .. K-1));
    requires \separated(index + (0 .. K-1), weight + (0 .. K-1));
    assigns weight[0 .. K-1];
    ensures K == 0 || K > N ==> \result == SMOE_EINVAL;
    ensures 0 < K <= N && !((\forall integer j; 0 <= j < K ==> index[j] < N) && smoe_finites(s, N) &&
              smoe_finite(scale)) ==> \result == SMOE_EDOM; */
smoe_status smoe_weights_scaled_renorm(size_t N, size_t K, double scale, const double *s, const size_t *index,
                                       double *weight);

/* With v_j = s_{I_j} / S and dv_j = scale dweight_j:  ds_{I_j} = (dv_j - <v, dv>) / S, 0 elsewhere.
 *   ds [N]  out   v [K]  dv [K]  out */
/*@ requires \valid_read(s + (0 .. N-1)) && \valid_read(index + (0 .. K-1)) && \valid_read(dweight + (0 .. K-1));
    requires \valid(ds + (0 .. N-1)) && \valid(v + (0 .. K-1)) && \valid(dv + (0 .. K-1));
    requires \separated(s + (0 .. N-1), ds + (0 .. N-1), v + (0 .. K-1), dv + (0 .. K-1));
    requires \separated(index + (0 .. K-1), ds + (0 .. N-1), v + (0 .. K-1), dv + (0 .. K-1));
    requires \separated(dweight + (0 .. K-1), ds + (0 .. N-1), v + (0 .. K-1), dv + (0 .. K-1));
    assigns ds[0 .. N-1], v[0 .. K-1], dv[0 .. K-1];
    ensures K == 0 || K > N ==> \result == SMOE_EINVAL; */
smoe_status smoe_weights_scaled_renorm_vjp(size_t N, size_t K, double scale, const double *s, const size_t *index,
                                           const double *dweight, double *ds, double *v, double *dv);

/* (G.16) The same without the division:  weight_j = s_{I_j} scale */
/*@ requires \valid_read(s + (0 .. N-1)) && \valid_read(index + (0 .. K-1)) && \valid(weight + (0 .. K-1));
    requires \separated(s + (0 .. N-1), weight + (0 .. K-1));
    requires \separated(index + (0 .. K-1), weight + (0 .. K-1));
    assigns weight[0 .. K-1];
    ensures K == 0 || K > N ==> \result == SMOE_EINVAL;
    ensures 0 < K <= N && !((\forall integer j; 0 <= j < K ==> index[j] < N) && smoe_finites(s, N) &&
              smoe_finite(scale)) ==> \result == SMOE_EDOM; */
smoe_status smoe_weights_scaled(size_t N, size_t K, double scale, const double *s, const size_t *index, double *weight);

/* ds_{I_j} = scale dweight_j, 0 elsewhere.  ds [N]  out   dv [K]  out */
/*@ requires \valid_read(s + (0 .. N-1)) && \valid_read(index + (0 .. K-1)) && \valid_read(dweight + (0 .. K-1));
    requires \valid(ds + (0 .. N-1)) && \valid(dv + (0 .. K-1));
    requires \separated(s + (0 .. N-1), ds + (0 .. N-1), dv + (0 .. K-1));
    requires \separated(index + (0 .. K-1), ds + (0 .. N-1), dv + (0 .. K-1));
    requires \separated(dweight + (0 .. K-1), ds + (0 .. N-1), dv + (0 .. K-1));
    assigns ds[0 .. N-1], dv[0 .. K-1];
    ensures K == 0 || K > N ==> \result == SMOE_EINVAL; */
smoe_status smoe_weights_scaled_vjp(size_t N, size_t K, double scale, const double *s, const size_t *index,
                                    const double *dweight, double *ds, double *dv);

/* The whole gate of DeepSeek-V3 for T tokens. */
typedef enum { SMOE_DEEPSEEK_RENORM, SMOE_DEEPSEEK_PLAIN } smoe_deepseek_weights;

typedef struct {
    smoe_deepseek_weights weights;
    size_t T, d, N, K, groups, kept; /* K <= kept N / groups */
    double scale;
    const double *x, *e, *bias; /* [T,d] [N,d] [N], a bias below 2^99 in size */
} smoe_deepseek_in;

typedef struct {
    size_t *index;           /* [T,K] */
    double *weight, *margin; /* [T,K] [T] */
    double *z, *s;           /* [T,N]  <x_t, e_i> and its sigmoid */
} smoe_deepseek_out;

/* (G.16) DeepSeek-V3:  s = sigmoid(x e'),  I = TopK(s + bias) inside the best groups,  weights of s_I by G.16
 *
 *   work [2*N + groups + max(kept, K)]  group [kept]  scratch
 *
 * The bias chooses and does not weigh.  SMOE_EDOM because all chosen s are 0 is found on the way: then outputs of
 * earlier tokens have been written. */
smoe_status smoe_gate_deepseek(const smoe_deepseek_in *in, const smoe_deepseek_out *out, double *work, size_t *group);

/* dz_ti = sigmoid'(z_ti) ds_ti, dx = dz e, de = dz' x; the bias has no gradient.
 *   dweight [T,K]   dx [T,d]  de [N,d]  out   work [T*N + 2*K]  scratch */
smoe_status smoe_gate_deepseek_vjp(const smoe_deepseek_in *in, const smoe_deepseek_out *out, const double *dweight,
                                   double *dx, double *de, double *work);

/* (G.17) Entropy of the router's distribution, of one token:  H = -sum_i p_i ln p_i,  p = softmax(r),  0 ln 0 = 0
 *
 *   r [N]
 *   entropy            out, in nats: from 0 to ln N
 *   p [N]  log_p [N]   scratch
 *
 * A diagnostic: no gradient (balance.entropy is the loss).  Source: ours; spec G.17.
 */
/*@ requires \valid_read(r + (0 .. N-1)) && \valid(entropy) && \valid(p + (0 .. N-1)) && \valid(log_p + (0 .. N-1));
    requires \separated(r + (0 .. N-1), entropy, p + (0 .. N-1), log_p + (0 .. N-1));
    assigns *entropy, p[0 .. N-1], log_p[0 .. N-1];
    ensures N == 0 ==> \result == SMOE_EINVAL;
    ensures N > 0 && !smoe_finites(r, N) ==> \result == SMOE_EDOM;
    ensures N > 0 && smoe_finites(r, N) ==> \result == SMOE_OK; */
smoe_status smoe_gate_entropy_token(size_t N, const double *r, double *entropy, double *p, double *log_p);

/* (G.17) for each of T tokens, and the mean, tokens ascending.  r [T,N]   entropy [T]  mean  out
 *   p [N]  log_p [N]  scratch
 * Errors: SMOE_EINVAL also for T = 0: there is no mean of nothing. */
/*@ requires smoe_size(T*N) && \valid_read(r + (0 .. T*N-1)) && \valid(entropy + (0 .. T-1)) && \valid(mean);
    requires \valid(p + (0 .. N-1)) && \valid(log_p + (0 .. N-1));
    requires \separated(r + (0 .. T*N-1), entropy + (0 .. T-1), p + (0 .. N-1), log_p + (0 .. N-1));
    assigns entropy[0 .. T-1], *mean, p[0 .. N-1], log_p[0 .. N-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_entropy(size_t T, size_t N, const double *r, double *entropy, double *mean, double *p,
                              double *log_p);

#endif
