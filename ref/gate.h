/* Chapter G: the linear gate and the three orders of selection and softmax of spec/02-gate.md, forward and gradient.
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

#endif
