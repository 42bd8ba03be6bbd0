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
/*@ requires \valid_read(x + (0 .. T*d-1)) && \valid_read(wr + (0 .. N*d-1)) && \valid_read(br + (0 .. N-1));
    requires \valid(r + (0 .. T*N-1));
    assigns r[0 .. T*N-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_linear(size_t T, size_t d, size_t N, const double *x, const double *wr, const double *br,
                             double *r);

/* dx = Wr' dr,  dWr = sum_t dr_t x_t',  dbr = sum_t dr_t,  tokens ascending.  dx [T,d]  dwr [N,d]  dbr [N]  out */
/*@ requires \valid_read(x + (0 .. T*d-1)) && \valid_read(wr + (0 .. N*d-1)) && \valid_read(dr + (0 .. T*N-1));
    requires \valid(dx + (0 .. T*d-1)) && \valid(dwr + (0 .. N*d-1)) && \valid(dbr + (0 .. N-1));
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
    ensures 0 < K <= N && \result == SMOE_OK ==> \forall integer j; 0 <= j < K ==> index[j] < N; */
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
    ensures 0 < K <= N && \result == SMOE_OK ==> \forall integer j; 0 <= j < K ==> index[j] < N; */
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
    ensures 0 < K <= N && \result == SMOE_OK ==> \forall integer j; 0 <= j < K ==> index[j] < N; */
smoe_status smoe_weights_softmax_topk_renorm_vjp(size_t N, size_t K, const size_t *index, const double *weight,
                                                 const double *dweight, double *dr, double *dvalue);

/* G.2, G.3 or G.4 for each of T tokens. */
typedef enum { SMOE_TOPK_SOFTMAX, SMOE_SOFTMAX_TOPK, SMOE_SOFTMAX_TOPK_RENORM } smoe_weight_order;

/*   r [T,N]   index [T,K]  weight [T,K]  margin [T]   out
 *   p [T,N]   out: kept for the vjp (G.3, G.4: the probabilities; G.2: a row starts with r_I, its rest is not written)
 */
/*@ requires \valid_read(r + (0 .. T*N-1));
    requires \valid(index + (0 .. T*K-1)) && \valid(weight + (0 .. T*K-1)) && \valid(margin + (0 .. T-1)) &&
             \valid(p + (0 .. T*N-1));
    assigns index[0 .. T*K-1], weight[0 .. T*K-1], margin[0 .. T-1], p[0 .. T*N-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_weights(smoe_weight_order order, size_t T, size_t N, size_t K, const double *r,
                              size_t *index, double *weight, double *margin, double *p);

/*   dweight [T,K]   dr [T,N]  out   work [N]  scratch */
/*@ requires \valid_read(index + (0 .. T*K-1)) && \valid_read(weight + (0 .. T*K-1)) &&
             \valid_read(p + (0 .. T*N-1)) && \valid_read(dweight + (0 .. T*K-1));
    requires \valid(dr + (0 .. T*N-1)) && \valid(work + (0 .. N-1));
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
    behavior values:
      assumes !(smoe_finites(x, n) && smoe_finites(noise, n));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes smoe_finites(x, n) && smoe_finites(noise, n);
      assigns xn[0 .. n-1];
      ensures \result == SMOE_OK || \result == SMOE_EOVRFLW;
      ensures \forall integer k; 0 <= k < n ==> xn[k] == x[k] * noise[k];
    complete behaviors; disjoint behaviors; */
smoe_status smoe_jitter(size_t n, const double *x, const double *noise, double *xn);

/* (G.5) The linear gate on the jittered tokens:  r_t = Wr (x_t * noise_t) + br
 *
 *   x [T,d]  noise [T,d]  wr [N,d]  br [N]
 *   r [T,N]   out
 *   xn [T,d]  out: kept for the vjp
 */
/*@ requires \valid_read(x + (0 .. T*d-1)) && \valid_read(noise + (0 .. T*d-1));
    requires \valid_read(wr + (0 .. N*d-1)) && \valid_read(br + (0 .. N-1));
    requires \valid(r + (0 .. T*N-1)) && \valid(xn + (0 .. T*d-1));
    assigns r[0 .. T*N-1], xn[0 .. T*d-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_jitter(size_t T, size_t d, size_t N, const double *x, const double *noise, const double *wr,
                             const double *br, double *r, double *xn);

/* dx = (Wr' dr) * noise,  dWr = sum_t dr_t xn_t',  dbr = sum_t dr_t,  tokens ascending.  The noise is a constant. */
/*@ requires \valid_read(noise + (0 .. T*d-1)) && \valid_read(xn + (0 .. T*d-1));
    requires \valid_read(wr + (0 .. N*d-1)) && \valid_read(dr + (0 .. T*N-1));
    requires \valid(dx + (0 .. T*d-1)) && \valid(dwr + (0 .. N*d-1)) && \valid(dbr + (0 .. N-1));
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
    behavior values:
      assumes !(smoe_finite(epsilon) && epsilon >= 0 && smoe_finites(clean, n) && smoe_finites(raw, n) &&
                smoe_finites(noise, n));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes smoe_finite(epsilon) && epsilon >= 0 && smoe_finites(clean, n) && smoe_finites(raw, n) &&
              smoe_finites(noise, n);
      assigns std[0 .. n-1], noisy[0 .. n-1];
      ensures \result == SMOE_OK || \result == SMOE_EOVRFLW;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_noisy_scores(size_t n, const double *clean, const double *raw, const double *noise, double epsilon,
                              double *std, double *noisy);

/* (G.6) dclean = dnoisy (the caller has it),  draw = (dnoisy * noise) sigmoid(raw).  draw [n] out */
/*@ requires \valid_read(raw + (0 .. n-1)) && \valid_read(noise + (0 .. n-1)) && \valid_read(dnoisy + (0 .. n-1));
    requires \valid(draw + (0 .. n-1));
    requires \separated(raw + (0 .. n-1), draw + (0 .. n-1)) && \separated(noise + (0 .. n-1), draw + (0 .. n-1));
    requires \separated(dnoisy + (0 .. n-1), draw + (0 .. n-1));
    behavior values:
      assumes !(smoe_finites(raw, n) && smoe_finites(noise, n) && smoe_finites(dnoisy, n));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes smoe_finites(raw, n) && smoe_finites(noise, n) && smoe_finites(dnoisy, n);
      assigns draw[0 .. n-1];
      ensures \result == SMOE_OK || \result == SMOE_EOVRFLW;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_noisy_scores_vjp(size_t n, const double *raw, const double *noise, const double *dnoisy,
                                  double *draw);

/* (G.6) Noisy top-k gating:  clean = x Wg',  raw = x Wn',  I = TopK(noisy),  weight = softmax(noisy_I)
 *
 *   x [T,d]  wg [N,d]  wn [N,d]  noise [T,N]
 *   clean [T,N]  raw [T,N]  std [T,N]  noisy [T,N]   out
 *   index [T,K]  weight [T,K]  margin [T]            out; the margin is on noisy
 *   value [K]                                        scratch
 */
/*@ requires \valid_read(x + (0 .. T*d-1)) && \valid_read(wg + (0 .. N*d-1)) && \valid_read(wn + (0 .. N*d-1));
    requires \valid_read(noise + (0 .. T*N-1));
    requires \valid(clean + (0 .. T*N-1)) && \valid(raw + (0 .. T*N-1)) && \valid(std + (0 .. T*N-1)) &&
             \valid(noisy + (0 .. T*N-1));
    requires \valid(index + (0 .. T*K-1)) && \valid(weight + (0 .. T*K-1)) && \valid(margin + (0 .. T-1)) &&
             \valid(value + (0 .. K-1));
    assigns clean[0 .. T*N-1], raw[0 .. T*N-1], std[0 .. T*N-1], noisy[0 .. T*N-1];
    assigns index[0 .. T*K-1], weight[0 .. T*K-1], margin[0 .. T-1], value[0 .. K-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_noisy(size_t T, size_t d, size_t N, size_t K, double epsilon, const double *x, const double *wg,
                            const double *wn, const double *noise, double *clean, double *raw, double *std,
                            double *noisy, size_t *index, double *weight, double *margin, double *value);

/* The noise and the selection are constants.  dx is one chain: the experts of Wg, then those of Wn.
 *   dx [T,d]  dwg [N,d]  dwn [N,d]  out    dnoisy [T,N]  draw [T,N]  dvalue [K]  scratch */
/*@ requires \valid_read(x + (0 .. T*d-1)) && \valid_read(wg + (0 .. N*d-1)) && \valid_read(wn + (0 .. N*d-1));
    requires \valid_read(noise + (0 .. T*N-1)) && \valid_read(raw + (0 .. T*N-1));
    requires \valid_read(index + (0 .. T*K-1)) && \valid_read(weight + (0 .. T*K-1)) &&
             \valid_read(dweight + (0 .. T*K-1));
    requires \valid(dx + (0 .. T*d-1)) && \valid(dwg + (0 .. N*d-1)) && \valid(dwn + (0 .. N*d-1));
    requires \valid(dnoisy + (0 .. T*N-1)) && \valid(draw + (0 .. T*N-1)) && \valid(dvalue + (0 .. K-1));
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
    ensures 0 < K <= N && \result == SMOE_OK ==> \forall integer j; 0 <= j < K ==> index[j] < N; */
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
    ensures 0 < K <= N && \result == SMOE_OK ==> \forall integer j; 0 <= j < K ==> index[j] < N; */
smoe_status smoe_weights_sigmoid_norm_vjp(size_t N, size_t K, const size_t *index, const double *value,
                                          const double *weight, const double *dweight, double *dr, double *dvalue);

/* (G.7) One of the two for each of T tokens. */
typedef enum { SMOE_SIGMOID_NORM, SMOE_SIGMOID_PLAIN } smoe_sigmoid_form;

/*   r [T,N]   index [T,K]  weight [T,K]  margin [T]  value [T,K]  out */
/*@ requires \valid_read(r + (0 .. T*N-1));
    requires \valid(index + (0 .. T*K-1)) && \valid(weight + (0 .. T*K-1)) && \valid(margin + (0 .. T-1)) &&
             \valid(value + (0 .. T*K-1));
    assigns index[0 .. T*K-1], weight[0 .. T*K-1], margin[0 .. T-1], value[0 .. T*K-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_sigmoid(smoe_sigmoid_form form, size_t T, size_t N, size_t K, const double *r,
                              size_t *index, double *weight, double *margin, double *value);

/*   dweight [T,K]   dr [T,N]  out   dvalue [K]  scratch */
/*@ requires \valid_read(index + (0 .. T*K-1)) && \valid_read(value + (0 .. T*K-1)) &&
             \valid_read(weight + (0 .. T*K-1)) && \valid_read(dweight + (0 .. T*K-1));
    requires \valid(dr + (0 .. T*N-1)) && \valid(dvalue + (0 .. K-1));
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
    ensures \result == SMOE_OK ==> \forall integer a, b; 0 <= a < b < K ==> smoe_before(r, index[a], index[b]); */
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
    ensures \result == SMOE_OK ==> smoe_finites(dx, d); */
smoe_status smoe_gate_frozen_token_vjp(size_t d, size_t N, size_t K, const double *wr, const size_t *index,
                                       const double *weight, const double *dweight, double *dx, double *dr,
                                       double *dvalue);

/* (G.8) for each of T tokens:  x [T,d]  r [T,N]  index [T,K]  weight [T,K]  margin [T];  value [K] is scratch */
/*@ requires \valid_read(x + (0 .. T*d-1)) && \valid_read(wr + (0 .. N*d-1)) && \valid(r + (0 .. T*N-1));
    requires \valid(index + (0 .. T*K-1)) && \valid(weight + (0 .. T*K-1)) && \valid(margin + (0 .. T-1)) &&
             \valid(value + (0 .. K-1));
    assigns r[0 .. T*N-1], index[0 .. T*K-1], weight[0 .. T*K-1], margin[0 .. T-1], value[0 .. K-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_frozen(size_t T, size_t d, size_t N, size_t K, const double *x, const double *wr, double *r,
                             size_t *index, double *weight, double *margin, double *value);

/*   dweight [T,K]   dx [T,d]  out   dr [N]  dvalue [K]  scratch */
/*@ requires \valid_read(wr + (0 .. N*d-1)) && \valid_read(index + (0 .. T*K-1)) &&
             \valid_read(weight + (0 .. T*K-1)) && \valid_read(dweight + (0 .. T*K-1));
    requires \valid(dx + (0 .. T*d-1)) && \valid(dr + (0 .. N-1)) && \valid(dvalue + (0 .. K-1));
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
    behavior bad:
      assumes \exists integer a; 0 <= a < 2*T && index[a] >= N;
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes \forall integer a; 0 <= a < 2*T ==> index[a] < N;
      assigns kept[0 .. 2*T-1], count[0 .. N-1];
      ensures \result == SMOE_OK;
      ensures \forall integer a; 0 <= a < 2*T ==> kept[a] <= 1;
      ensures \forall integer a; 0 <= a < 2*T && \old(kept[a]) == 0 ==> kept[a] == 0;
      ensures capacity > 0 ==> \forall integer i; 0 <= i < N ==> count[i] <= capacity;
      ensures capacity == 0 ==> \forall integer a; 0 <= a < 2*T && \old(kept[a]) != 0 ==> kept[a] == 1;
    complete behaviors; disjoint behaviors; */
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
/*@ requires \valid_read(r + (0 .. T*N-1)) && \valid_read(u + (0 .. T-1));
    requires \valid(index + (0 .. 2*T-1)) && \valid(weight + (0 .. 2*T-1)) && \valid(kept + (0 .. 2*T-1)) &&
             \valid(margin + (0 .. T-1)) && \valid(share + (0 .. 2*T-1));
    requires \valid(p + (0 .. N-1)) && \valid(count + (0 .. N-1));
    assigns index[0 .. 2*T-1], weight[0 .. 2*T-1], kept[0 .. 2*T-1], margin[0 .. T-1], share[0 .. 2*T-1];
    assigns p[0 .. N-1], count[0 .. N-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_gshard(size_t T, size_t N, size_t capacity, smoe_second policy, double threshold,
                             smoe_norm_when norm, const double *r, const double *u, size_t *index, double *weight,
                             size_t *kept, double *margin, double *share, double *p, size_t *count);

/* What was selected and kept is constant:  dr of G.4 with the shares and the kept cotangents (before), with the weights
 * and all cotangents (after).   dweight [T,2]   dr [T,N]  out */
/*@ requires \valid_read(index + (0 .. 2*T-1)) && \valid_read(kept + (0 .. 2*T-1)) &&
             \valid_read(share + (0 .. 2*T-1)) && \valid_read(weight + (0 .. 2*T-1)) &&
             \valid_read(dweight + (0 .. 2*T-1));
    requires \valid(dr + (0 .. T*N-1));
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
    ensures \result == SMOE_OK ==> \forall integer a; 0 <= a < g ==> z[a] >= 0; */
smoe_status smoe_hyper_weights(size_t m, size_t g, size_t n, const double *e, const double *v1, const double *v2,
                               double *z, double *wr);

/* (G.11) dz = V2' dWr (rows ascending), 0 where z = 0,  de = V1' dz.  de [m]  dz [g]  out */
/*@ requires smoe_product(1, g, n, dwr, v2, dz) && smoe_product(1, m, g, dz, v1, de) && \valid_read(z + (0 .. g-1));
    requires \separated(z + (0 .. g-1), dz + (0 .. g-1), de + (0 .. m-1));
    requires \separated(dwr + (0 .. n-1), de + (0 .. m-1)) && \separated(v2 + (0 .. n*g-1), de + (0 .. m-1));
    requires \separated(v1 + (0 .. g*m-1), dz + (0 .. g-1));
    assigns de[0 .. m-1], dz[0 .. g-1];
    ensures m == 0 || g == 0 ==> \result == SMOE_EINVAL;
    ensures \result == SMOE_OK ==> smoe_finites(de, m); */
smoe_status smoe_hyper_weights_vjp(size_t m, size_t g, size_t n, const double *v1, const double *v2, const double *z,
                                   const double *dwr, double *de, double *dz);

/* (G.11) HyperRouter's gate:  r_t = Wr x_t.   x [T,d]   r [T,N]  z [g]  wr [N,d]  out */
/*@ requires \valid_read(x + (0 .. T*d-1)) && \valid_read(e + (0 .. m-1)) && \valid_read(v1 + (0 .. g*m-1)) &&
             \valid_read(v2 + (0 .. N*d*g-1));
    requires \valid(r + (0 .. T*N-1)) && \valid(z + (0 .. g-1)) && \valid(wr + (0 .. N*d-1));
    assigns r[0 .. T*N-1], z[0 .. g-1], wr[0 .. N*d-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_hyper(size_t T, size_t d, size_t N, size_t m, size_t g, const double *x, const double *e,
                            const double *v1, const double *v2, double *r, double *z, double *wr);

/* dx = Wr' dr,  dWr = sum_t dr_t x_t' (tokens ascending),  then as above.
 *   dx [T,d]  de [m]  out   dwr [N,d]  dz [g]  scratch */
/*@ requires \valid_read(x + (0 .. T*d-1)) && \valid_read(v1 + (0 .. g*m-1)) && \valid_read(v2 + (0 .. N*d*g-1));
    requires \valid_read(z + (0 .. g-1)) && \valid_read(wr + (0 .. N*d-1)) && \valid_read(dr + (0 .. T*N-1));
    requires \valid(dx + (0 .. T*d-1)) && \valid(de + (0 .. m-1)) && \valid(dwr + (0 .. N*d-1)) &&
             \valid(dz + (0 .. g-1));
    assigns dx[0 .. T*d-1], de[0 .. m-1], dwr[0 .. N*d-1], dz[0 .. g-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_hyper_vjp(size_t T, size_t d, size_t N, size_t m, size_t g, const double *x, const double *v1,
                                const double *v2, const double *z, const double *wr, const double *dr, double *dx,
                                double *de, double *dwr, double *dz);

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
    behavior sizes:
      assumes N == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes N > 0 && !smoe_finites(r, N);
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes N > 0 && smoe_finites(r, N);
      assigns *entropy, p[0 .. N-1], log_p[0 .. N-1];
      ensures \result == SMOE_OK;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_gate_entropy_token(size_t N, const double *r, double *entropy, double *p, double *log_p);

/* (G.17) for each of T tokens, and the mean, tokens ascending.  r [T,N]   entropy [T]  mean  out
 *   p [N]  log_p [N]  scratch
 * Errors: SMOE_EINVAL also for T = 0: there is no mean of nothing. */
/*@ requires \valid_read(r + (0 .. T*N-1)) && \valid(entropy + (0 .. T-1)) && \valid(mean);
    requires \valid(p + (0 .. N-1)) && \valid(log_p + (0 .. N-1));
    assigns entropy[0 .. T-1], *mean, p[0 .. N-1], log_p[0 .. N-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_gate_entropy(size_t T, size_t N, const double *r, double *entropy, double *mean, double *p,
                              double *log_p);

#endif
