/* Competition (spec/05-compete.md): every expert answers, the strongest responses win, and the router learns who wins.
 *
 *   T tokens, N experts, K winners a token, d width, h hidden width.
 *   o [T,N,d] outputs of all experts, s [T,N] their responses, index [T,K] the winners, r [T,N] the router's logits.
 *
 * The set of winners and every count are constants in all gradients.  vjps overwrite; outputs may not overlap inputs or
 * each other.  SMOE_EINVAL means a size that makes no sense (K = 0, K > N, N = 0, d = 0, a mean over T = 0 tokens, an
 * unknown variant); SMOE_EDOM a value that is not finite or out of range (nothing is written in either case, except to
 * what is called kept or work); SMOE_EOVRFLW that a finite input overflowed (the outputs are then unspecified).
 */
#ifndef SMOEREF_COMPETE_H
#define SMOEREF_COMPETE_H

#include <stddef.h>

#include "balance.h"
#include "layer.h"
#include "numerics.h"

/* --- C.1: how strongly an expert responds ---
 *
 *   o   [N,d]  outputs of the experts for one token
 *   s   [N]    out: responses
 *   ds  [N]    cotangent of s
 *   do_ [N,d]  out: gradient of o;  (ds_i / d) times the derivative of the function at o_{i,e}
 */

/* (C.1) Response:  s_i = (1/d) sum_e softplus(o_{i,e}),  e ascending, sum first, then divided
 * Source: CompeteSMoE v2 (arXiv 2505.13380) as its code and a review of it have it. */
/*@ requires smoe_size(N*d) && \valid_read(o + (0 .. N*d-1)) && \valid(s + (0 .. N-1));
    requires \separated(o + (0 .. N*d-1), s + (0 .. N-1));
    assigns s[0 .. N-1];
    ensures N == 0 || d == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_response_softplus(size_t N, size_t d, const double *o, double *s);
/*@ requires smoe_size(N*d) && \valid_read(o + (0 .. N*d-1)) && \valid_read(ds + (0 .. N-1));
    requires \valid(do_ + (0 .. N*d-1));
    requires \separated(o + (0 .. N*d-1), do_ + (0 .. N*d-1)) && \separated(ds + (0 .. N-1), do_ + (0 .. N*d-1));
    assigns do_[0 .. N*d-1];
    ensures N == 0 || d == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_response_softplus_vjp(size_t N, size_t d, const double *o, const double *ds, double *do_);

/* (C.1a) Response by norm:  s_i = |o_i|_2,  with ds_i o_i / |o_i| as gradient, 0 at o_i = 0
 * Its vjp takes the responses s that the forward gave.  Source: CompeteSMoE v1 (arXiv 2402.02526), its code. */
/*@ requires smoe_size(N*d) && \valid_read(o + (0 .. N*d-1)) && \valid(s + (0 .. N-1));
    requires \separated(o + (0 .. N*d-1), s + (0 .. N-1));
    assigns s[0 .. N-1];
    ensures N == 0 || d == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_response_norm(size_t N, size_t d, const double *o, double *s);
/*@ requires smoe_size(N*d) && \valid_read(o + (0 .. N*d-1));
    requires \valid_read(s + (0 .. N-1)) && \valid_read(ds + (0 .. N-1)) && \valid(do_ + (0 .. N*d-1));
    requires \separated(o + (0 .. N*d-1), do_ + (0 .. N*d-1));
    requires \separated(s + (0 .. N-1), do_ + (0 .. N*d-1)) && \separated(ds + (0 .. N-1), do_ + (0 .. N*d-1));
    assigns do_[0 .. N*d-1];
    ensures N == 0 || d == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_response_norm_vjp(size_t N, size_t d, const double *o, const double *s, const double *ds,
                                   double *do_);

/* (C.1b) mean of max(o, 0), derivative 0 at 0;  (C.1c) mean of sigmoid(o);  (C.1d) mean of SiLU(o)
 * Source: ablations in the code of CompeteSMoE v2. */
/*@ requires smoe_size(N*d) && \valid_read(o + (0 .. N*d-1)) && \valid(s + (0 .. N-1));
    requires \separated(o + (0 .. N*d-1), s + (0 .. N-1));
    assigns s[0 .. N-1];
    ensures N == 0 || d == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_response_relu(size_t N, size_t d, const double *o, double *s);
/*@ requires smoe_size(N*d) && \valid_read(o + (0 .. N*d-1)) && \valid_read(ds + (0 .. N-1));
    requires \valid(do_ + (0 .. N*d-1));
    requires \separated(o + (0 .. N*d-1), do_ + (0 .. N*d-1)) && \separated(ds + (0 .. N-1), do_ + (0 .. N*d-1));
    assigns do_[0 .. N*d-1];
    ensures N == 0 || d == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_response_relu_vjp(size_t N, size_t d, const double *o, const double *ds, double *do_);
/*@ requires smoe_size(N*d) && \valid_read(o + (0 .. N*d-1)) && \valid(s + (0 .. N-1));
    requires \separated(o + (0 .. N*d-1), s + (0 .. N-1));
    assigns s[0 .. N-1];
    ensures N == 0 || d == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_response_sigmoid(size_t N, size_t d, const double *o, double *s);
/*@ requires smoe_size(N*d) && \valid_read(o + (0 .. N*d-1)) && \valid_read(ds + (0 .. N-1));
    requires \valid(do_ + (0 .. N*d-1));
    requires \separated(o + (0 .. N*d-1), do_ + (0 .. N*d-1)) && \separated(ds + (0 .. N-1), do_ + (0 .. N*d-1));
    assigns do_[0 .. N*d-1];
    ensures N == 0 || d == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_response_sigmoid_vjp(size_t N, size_t d, const double *o, const double *ds, double *do_);
/*@ requires smoe_size(N*d) && \valid_read(o + (0 .. N*d-1)) && \valid(s + (0 .. N-1));
    requires \separated(o + (0 .. N*d-1), s + (0 .. N-1));
    assigns s[0 .. N-1];
    ensures N == 0 || d == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_response_silu(size_t N, size_t d, const double *o, double *s);
/*@ requires smoe_size(N*d) && \valid_read(o + (0 .. N*d-1)) && \valid_read(ds + (0 .. N-1));
    requires \valid(do_ + (0 .. N*d-1));
    requires \separated(o + (0 .. N*d-1), do_ + (0 .. N*d-1)) && \separated(ds + (0 .. N-1), do_ + (0 .. N*d-1));
    assigns do_[0 .. N*d-1];
    ensures N == 0 || d == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_response_silu_vjp(size_t N, size_t d, const double *o, const double *ds, double *do_);

/* --- C.2: winners and their weights, for one token; the winners are I = TopK(s) by smoe_topk (N.25) ---
 *
 *   value   [K]  responses of the winners, in the order of their index
 *   weight  [K]  out: they sum to 1
 */

/* (C.2) Weights:  weight_j = value_j / sum_l value_l
 *
 * Errors: SMOE_EDOM if the sum is not positive.
 * Source: CompeteSMoE v2, its code and a review of it.
 */
/*@ requires \valid_read(value + (0 .. K-1)) && \valid(weight + (0 .. K-1));
    requires \separated(value + (0 .. K-1), weight + (0 .. K-1));
    behavior sizes:
      assumes K == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes K > 0 && !(smoe_finites(value, K));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes K > 0 && smoe_finites(value, K);
      assigns weight[0 .. K-1];
      ensures \result == SMOE_OK || \result == SMOE_EDOM || \result == SMOE_EOVRFLW;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_compete_weights(size_t K, const double *value, double *weight);

/* (C.2), gradient:  dvalue_j = (dweight_j - <weight, dweight>) / sum_l value_l */
/*@ requires \valid_read(value + (0 .. K-1)) && \valid_read(weight + (0 .. K-1));
    requires \valid_read(dweight + (0 .. K-1)) && \valid(dvalue + (0 .. K-1));
    requires \separated(value + (0 .. K-1), dvalue + (0 .. K-1));
    requires \separated(weight + (0 .. K-1), dvalue + (0 .. K-1));
    requires \separated(dweight + (0 .. K-1), dvalue + (0 .. K-1));
    behavior sizes:
      assumes K == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes K > 0 && !(smoe_finites(value, K) && smoe_finites(weight, K) && smoe_finites(dweight, K));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes K > 0 && smoe_finites(value, K) && smoe_finites(weight, K) && smoe_finites(dweight, K);
      assigns dvalue[0 .. K-1];
      ensures \result == SMOE_OK || \result == SMOE_EDOM || \result == SMOE_EOVRFLW;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_compete_weights_vjp(size_t K, const double *value, const double *weight, const double *dweight,
                                     double *dvalue);

/* (C.2) Weights, version 1:  weight = softmax(value);  its gradient is that of softmax (N.22)
 * Source: CompeteSMoE v1, its code. */
/*@ requires \valid_read(value + (0 .. K-1)) && \valid(weight + (0 .. K-1));
    requires \separated(value + (0 .. K-1), weight + (0 .. K-1));
    assigns weight[0 .. K-1];
    ensures K == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_compete_weights_v1(size_t K, const double *value, double *weight);
/*@ requires \valid_read(weight + (0 .. K-1)) && \valid_read(dweight + (0 .. K-1)) && \valid(dvalue + (0 .. K-1));
    requires \separated(weight + (0 .. K-1), dvalue + (0 .. K-1));
    requires \separated(dweight + (0 .. K-1), dvalue + (0 .. K-1));
    assigns dvalue[0 .. K-1];
    ensures K == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_compete_weights_v1_vjp(size_t K, const double *weight, const double *dweight, double *dvalue);

/* --- C.3: combination, and the route from outputs to output --- */

/* (C.3) Combination, one token:  y = sum_j weight_j o_{index_j},  a chain of fused multiply-adds, j ascending, from 0
 *
 *   index [K]  each below N      weight [K]      o [N,d]      y [d]  out
 *
 * Errors: SMOE_EDOM if an index is not below N.
 */
/*@ requires smoe_size(N*d) && \valid_read(index + (0 .. K-1)) && \valid_read(weight + (0 .. K-1));
    requires \valid_read(o + (0 .. N*d-1)) && \valid(y + (0 .. d-1));
    requires \separated(index + (0 .. K-1), y + (0 .. d-1)) && \separated(weight + (0 .. K-1), y + (0 .. d-1));
    requires \separated(o + (0 .. N*d-1), y + (0 .. d-1));
    assigns y[0 .. d-1];
    ensures K == 0 || K > N || d == 0 ==> \result == SMOE_EINVAL;
    ensures 0 < K <= N && d > 0 && (\exists integer j; 0 <= j < K && index[j] >= N) ==> \result == SMOE_EDOM; */
smoe_status smoe_compete_combine(size_t N, size_t K, size_t d, const size_t *index, const double *weight,
                                 const double *o, double *y);

/* (C.3), gradient:  dweight_j = <dy, o_{index_j}>;  do_{index_j} = weight_j dy, and 0 for who did not win */
/*@ requires smoe_size(N*d) && \valid_read(index + (0 .. K-1)) && \valid_read(weight + (0 .. K-1));
    requires \valid_read(o + (0 .. N*d-1)) && \valid_read(dy + (0 .. d-1));
    requires \valid(dweight + (0 .. K-1)) && \valid(do_ + (0 .. N*d-1));
    requires \separated(index + (0 .. K-1), dweight + (0 .. K-1), do_ + (0 .. N*d-1));
    requires \separated(weight + (0 .. K-1), dweight + (0 .. K-1), do_ + (0 .. N*d-1));
    requires \separated(o + (0 .. N*d-1), dweight + (0 .. K-1), do_ + (0 .. N*d-1));
    requires \separated(dy + (0 .. d-1), dweight + (0 .. K-1), do_ + (0 .. N*d-1));
    assigns dweight[0 .. K-1], do_[0 .. N*d-1];
    ensures K == 0 || K > N || d == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_compete_combine_vjp(size_t N, size_t K, size_t d, const size_t *index, const double *weight,
                                     const double *o, const double *dy, double *dweight, double *do_);

/* (C.1) (C.2) (C.3) for each of T tokens:  s = responses, I = TopK(s), weights, combination
 *
 *   o       [T,N,d]
 *   s       [T,N]    out
 *   index   [T,K]    out: largest response first, among equals the lower index
 *   weight  [T,K]    out
 *   margin  [T]      out: K-th less (K+1)-th response; +inf if K = N
 *   y       [T,d]    out
 *   value   [K]      work
 *
 * smoe_route: mean softplus and value / sum (version 2).  smoe_route_v1: norm and softmax (version 1).
 * Errors: SMOE_EDOM for smoe_route also if all responses of a token are 0 (every output below about -745).
 */
/*@ requires smoe_size(T*N*d) && smoe_size(N*d) && smoe_size(T*N) && smoe_size(T*K) && smoe_size(T*d);
    requires \valid_read(o + (0 .. T*N*d-1)) && \valid(s + (0 .. T*N-1)) && \valid(index + (0 .. T*K-1));
    requires \valid(weight + (0 .. T*K-1)) && \valid(margin + (0 .. T-1)) && \valid(y + (0 .. T*d-1));
    requires \valid(value + (0 .. K-1));
    requires \separated(o + (0 .. T*N*d-1), s + (0 .. T*N-1), index + (0 .. T*K-1), weight + (0 .. T*K-1),
                        margin + (0 .. T-1), y + (0 .. T*d-1), value + (0 .. K-1));
    assigns s[0 .. T*N-1], index[0 .. T*K-1], weight[0 .. T*K-1], margin[0 .. T-1], y[0 .. T*d-1], value[0 .. K-1];
    ensures K == 0 || K > N || d == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_route(size_t T, size_t N, size_t K, size_t d, const double *o, double *s, size_t *index,
                       double *weight, double *margin, double *y, double *value);
/*@ requires smoe_size(T*N*d) && smoe_size(N*d) && smoe_size(T*N) && smoe_size(T*K) && smoe_size(T*d);
    requires \valid_read(o + (0 .. T*N*d-1)) && \valid(s + (0 .. T*N-1)) && \valid(index + (0 .. T*K-1));
    requires \valid(weight + (0 .. T*K-1)) && \valid(margin + (0 .. T-1)) && \valid(y + (0 .. T*d-1));
    requires \valid(value + (0 .. K-1));
    requires \separated(o + (0 .. T*N*d-1), s + (0 .. T*N-1), index + (0 .. T*K-1), weight + (0 .. T*K-1),
                        margin + (0 .. T-1), y + (0 .. T*d-1), value + (0 .. K-1));
    assigns s[0 .. T*N-1], index[0 .. T*K-1], weight[0 .. T*K-1], margin[0 .. T-1], y[0 .. T*d-1], value[0 .. K-1];
    ensures K == 0 || K > N || d == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_route_v1(size_t T, size_t N, size_t K, size_t d, const double *o, double *s, size_t *index,
                          double *weight, double *margin, double *y, double *value);

/* ..., gradient for the cotangents dy [T,d], dweight [T,K] and ds [T,N]:
 *   total dweight = dweight + (C.3)'s;   total ds = ds + (C.2)'s, at the winners;   do_ = (C.3)'s + (C.1)'s
 *
 *   s, index, weight   the forward's
 *   do_   [T,N,d]      out
 *   work  [N d + N + 3 K]
 */
/*@ requires smoe_size(T*N*d) && smoe_size(N*d + N + 3*K) && smoe_size(T*N) && smoe_size(T*K) && smoe_size(T*d);
    requires \valid_read(o + (0 .. T*N*d-1)) && \valid_read(s + (0 .. T*N-1)) && \valid_read(ds + (0 .. T*N-1));
    requires \valid_read(index + (0 .. T*K-1)) && \valid_read(weight + (0 .. T*K-1));
    requires \valid_read(dy + (0 .. T*d-1)) && \valid_read(dweight + (0 .. T*K-1));
    requires \valid(do_ + (0 .. T*N*d-1)) && \valid(work + (0 .. N*d+N+3*K-1));
    requires \separated(o + (0 .. T*N*d-1), do_ + (0 .. T*N*d-1), work + (0 .. N*d+N+3*K-1));
    requires \separated(s + (0 .. T*N-1), do_ + (0 .. T*N*d-1), work + (0 .. N*d+N+3*K-1));
    requires \separated(ds + (0 .. T*N-1), do_ + (0 .. T*N*d-1), work + (0 .. N*d+N+3*K-1));
    requires \separated(index + (0 .. T*K-1), do_ + (0 .. T*N*d-1), work + (0 .. N*d+N+3*K-1));
    requires \separated(weight + (0 .. T*K-1), do_ + (0 .. T*N*d-1), work + (0 .. N*d+N+3*K-1));
    requires \separated(dy + (0 .. T*d-1), do_ + (0 .. T*N*d-1), work + (0 .. N*d+N+3*K-1));
    requires \separated(dweight + (0 .. T*K-1), do_ + (0 .. T*N*d-1), work + (0 .. N*d+N+3*K-1));
    assigns do_[0 .. T*N*d-1], work[0 .. N*d+N+3*K-1];
    ensures K == 0 || K > N || d == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_route_vjp(size_t T, size_t N, size_t K, size_t d, const double *o, const double *s,
                           const size_t *index, const double *weight, const double *dy, const double *dweight,
                           const double *ds, double *do_, double *work);
/*@ requires smoe_size(T*N*d) && smoe_size(N*d + N + 3*K) && smoe_size(T*N) && smoe_size(T*K) && smoe_size(T*d);
    requires \valid_read(o + (0 .. T*N*d-1)) && \valid_read(s + (0 .. T*N-1)) && \valid_read(ds + (0 .. T*N-1));
    requires \valid_read(index + (0 .. T*K-1)) && \valid_read(weight + (0 .. T*K-1));
    requires \valid_read(dy + (0 .. T*d-1)) && \valid_read(dweight + (0 .. T*K-1));
    requires \valid(do_ + (0 .. T*N*d-1)) && \valid(work + (0 .. N*d+N+3*K-1));
    requires \separated(o + (0 .. T*N*d-1), do_ + (0 .. T*N*d-1), work + (0 .. N*d+N+3*K-1));
    requires \separated(s + (0 .. T*N-1), do_ + (0 .. T*N*d-1), work + (0 .. N*d+N+3*K-1));
    requires \separated(ds + (0 .. T*N-1), do_ + (0 .. T*N*d-1), work + (0 .. N*d+N+3*K-1));
    requires \separated(index + (0 .. T*K-1), do_ + (0 .. T*N*d-1), work + (0 .. N*d+N+3*K-1));
    requires \separated(weight + (0 .. T*K-1), do_ + (0 .. T*N*d-1), work + (0 .. N*d+N+3*K-1));
    requires \separated(dy + (0 .. T*d-1), do_ + (0 .. T*N*d-1), work + (0 .. N*d+N+3*K-1));
    requires \separated(dweight + (0 .. T*K-1), do_ + (0 .. T*N*d-1), work + (0 .. N*d+N+3*K-1));
    assigns do_[0 .. T*N*d-1], work[0 .. N*d+N+3*K-1];
    ensures K == 0 || K > N || d == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_route_v1_vjp(size_t T, size_t N, size_t K, size_t d, const double *o, const double *s,
                              const size_t *index, const double *weight, const double *dy, const double *dweight,
                              const double *ds, double *do_, double *work);

/* --- C.4, C.5: the router learns the outcome --- */

/* (C.5) Distillation loss on probabilities:
 *   loss = (1/(T N)) sum_{t,i} (p_{t,i} - q_{t,i})^2 + theta (1/(T K)) sum_t sum_j (p - q)_{t,index_{t,j}}^2
 *
 *   p      [T,N]  the router's probabilities
 *   q      [T,N]  the target (C.4)
 *   index  [T,K]  the winners
 *   loss   []     out; each of the two sums is one chain of fused multiply-adds, t then i (or j) ascending
 *
 * Source: CompeteSMoE v2, a review of it and its code ("hybrid").
 */
/*@ requires smoe_size(T*N) && smoe_size(T*K) && \valid_read(p + (0 .. T*N-1)) && \valid_read(q + (0 .. T*N-1));
    requires \valid_read(index + (0 .. T*K-1)) && \valid(loss);
    requires \separated(loss, p + (0 .. T*N-1)) && \separated(loss, q + (0 .. T*N-1));
    requires \separated(loss, index + (0 .. T*K-1));
    assigns *loss;
    ensures T == 0 || K == 0 || K > N ==> \result == SMOE_EINVAL; */
smoe_status smoe_distill_loss(size_t T, size_t N, size_t K, double theta, const double *p, const double *q,
                              const size_t *index, double *loss);

/* (C.5), gradient, with D = p - q:
 *   dp_{t,i} = (2 dloss/(T N)) D_{t,i} + [i in I_t] (2 dloss theta/(T K)) D_{t,i};   dq = -dp */
/*@ requires smoe_size(T*N) && smoe_size(T*K) && \valid_read(p + (0 .. T*N-1)) && \valid_read(q + (0 .. T*N-1));
    requires \valid_read(index + (0 .. T*K-1)) && \valid(dp + (0 .. T*N-1));
    requires \separated(dp + (0 .. T*N-1), p + (0 .. T*N-1)) && \separated(dp + (0 .. T*N-1), q + (0 .. T*N-1));
    requires \separated(dp + (0 .. T*N-1), index + (0 .. T*K-1));
    assigns dp[0 .. T*N-1];
    ensures T == 0 || K == 0 || K > N ==> \result == SMOE_EINVAL; */
smoe_status smoe_distill_loss_vjp(size_t T, size_t N, size_t K, double theta, const double *p, const double *q,
                                  const size_t *index, double dloss, double *dp);

/* (C.4) and (C.5) on scores:  p = softmax(r),  q = softmax(s) over all N experts (C.4),  then the loss
 *
 *   r, s  [T,N]   p, q  [T,N]  out, the vjps read them   loss  []  out
 */
/*@ requires smoe_size(T*N) && smoe_size(T*K) && \valid_read(r + (0 .. T*N-1)) && \valid_read(s + (0 .. T*N-1));
    requires \valid_read(index + (0 .. T*K-1));
    requires \valid(p + (0 .. T*N-1)) && \valid(q + (0 .. T*N-1)) && \valid(loss);
    requires \separated(r + (0 .. T*N-1), p + (0 .. T*N-1), q + (0 .. T*N-1), loss);
    requires \separated(s + (0 .. T*N-1), p + (0 .. T*N-1), q + (0 .. T*N-1), loss);
    requires \separated(index + (0 .. T*K-1), p + (0 .. T*N-1), q + (0 .. T*N-1), loss);
    assigns p[0 .. T*N-1], q[0 .. T*N-1], *loss;
    ensures T == 0 || K == 0 || K > N ==> \result == SMOE_EINVAL; */
smoe_status smoe_distill(size_t T, size_t N, size_t K, double theta, const double *r, const double *s,
                         const size_t *index, double *p, double *q, double *loss);

/* ..., gradient of the router's logits:  dr_t = softmax vjp of dp_t.  With a detached target this is all there is. */
/*@ requires smoe_size(T*N) && smoe_size(T*K) && \valid_read(p + (0 .. T*N-1)) && \valid_read(q + (0 .. T*N-1));
    requires \valid_read(index + (0 .. T*K-1)) && \valid(dr + (0 .. T*N-1)) && \valid(dp + (0 .. N-1));
    requires \separated(p + (0 .. T*N-1), dr + (0 .. T*N-1), dp + (0 .. N-1));
    requires \separated(q + (0 .. T*N-1), dr + (0 .. T*N-1), dp + (0 .. N-1));
    requires \separated(index + (0 .. T*K-1), dr + (0 .. T*N-1), dp + (0 .. N-1));
    assigns dr[0 .. T*N-1], dp[0 .. N-1];
    ensures T == 0 || K == 0 || K > N ==> \result == SMOE_EINVAL; */
smoe_status smoe_distill_vjp(size_t T, size_t N, size_t K, double theta, const double *p, const double *q,
                             const size_t *index, double dloss, double *dr, double *dp);

/* ..., gradient of the responses when the target is NOT detached:  ds_t = softmax vjp of -dp_t.   dq [N] is work. */
/*@ requires smoe_size(T*N) && smoe_size(T*K) && \valid_read(p + (0 .. T*N-1)) && \valid_read(q + (0 .. T*N-1));
    requires \valid_read(index + (0 .. T*K-1)) && \valid(ds + (0 .. T*N-1)) && \valid(dq + (0 .. N-1));
    requires \separated(p + (0 .. T*N-1), ds + (0 .. T*N-1), dq + (0 .. N-1));
    requires \separated(q + (0 .. T*N-1), ds + (0 .. T*N-1), dq + (0 .. N-1));
    requires \separated(index + (0 .. T*K-1), ds + (0 .. T*N-1), dq + (0 .. N-1));
    assigns ds[0 .. T*N-1], dq[0 .. N-1];
    ensures T == 0 || K == 0 || K > N ==> \result == SMOE_EINVAL; */
smoe_status smoe_distill_target_vjp(size_t T, size_t N, size_t K, double theta, const double *p, const double *q,
                                    const size_t *index, double dloss, double *ds, double *dq);

/* --- C.6: winners should differ --- */

/* (C.6) Diversity loss:  loss = (1/T) sum_t (1/(K (K-1))) sum_{i != j} <u_{t,i}, u_{t,j}>,  u = o / |o|,  0 for o = 0
 *
 *   o     [T,K,d]  outputs of the winners
 *   unit  [T,K,d]  out: u         norm  [T,K]  out: |o|       (the vjp reads both)
 *   loss  []       out: in [-1/(K-1), 1]; 0 for K = 1.  i then j ascending, all ordered pairs
 *
 * smoe_diversity_square: mean over all K^2 entries of a matrix whose diagonal is zero, (K-1)/K times as much.
 * Source: pairs, a review of CompeteSMoE v2; square, its code.
 */
/*@ requires smoe_size(T*K) && smoe_size(T*K*d) && smoe_size(K*d);
    requires \valid_read(o + (0 .. T*K*d-1)) && \valid(unit + (0 .. T*K*d-1));
    requires \valid(norm + (0 .. T*K-1)) && \valid(loss);
    requires \separated(o + (0 .. T*K*d-1), unit + (0 .. T*K*d-1), norm + (0 .. T*K-1), loss);
    assigns unit[0 .. T*K*d-1], norm[0 .. T*K-1], *loss;
    ensures T == 0 || K == 0 || d == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_diversity_pairs(size_t T, size_t K, size_t d, const double *o, double *unit, double *norm,
                                 double *loss);
/*@ requires smoe_size(T*K) && smoe_size(T*K*d) && smoe_size(K*d);
    requires \valid_read(o + (0 .. T*K*d-1)) && \valid(unit + (0 .. T*K*d-1));
    requires \valid(norm + (0 .. T*K-1)) && \valid(loss);
    requires \separated(o + (0 .. T*K*d-1), unit + (0 .. T*K*d-1), norm + (0 .. T*K-1), loss);
    assigns unit[0 .. T*K*d-1], norm[0 .. T*K-1], *loss;
    ensures T == 0 || K == 0 || d == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_diversity_square(size_t T, size_t K, size_t d, const double *o, double *unit, double *norm,
                                  double *loss);

/* (C.6), gradient:  v_i = sum_{j != i} u_j,  do_i = (2 dloss/(T K (K-1))) (v_i - <u_i,v_i> u_i) / |o_i|,  0 for o_i = 0
 *   (square: 2 dloss/(T K^2)) */
/*@ requires smoe_size(T*K) && smoe_size(T*K*d) && smoe_size(K*d);
    requires \valid_read(unit + (0 .. T*K*d-1)) && \valid_read(norm + (0 .. T*K-1)) && \valid(do_ + (0 .. T*K*d-1));
    requires \separated(unit + (0 .. T*K*d-1), do_ + (0 .. T*K*d-1));
    requires \separated(norm + (0 .. T*K-1), do_ + (0 .. T*K*d-1));
    assigns do_[0 .. T*K*d-1];
    ensures T == 0 || K == 0 || d == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_diversity_pairs_vjp(size_t T, size_t K, size_t d, const double *unit, const double *norm, double dloss,
                                     double *do_);
/*@ requires smoe_size(T*K) && smoe_size(T*K*d) && smoe_size(K*d);
    requires \valid_read(unit + (0 .. T*K*d-1)) && \valid_read(norm + (0 .. T*K-1)) && \valid(do_ + (0 .. T*K*d-1));
    requires \separated(unit + (0 .. T*K*d-1), do_ + (0 .. T*K*d-1));
    requires \separated(norm + (0 .. T*K-1), do_ + (0 .. T*K*d-1));
    assigns do_[0 .. T*K*d-1];
    ensures T == 0 || K == 0 || d == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_diversity_square_vjp(size_t T, size_t K, size_t d, const double *unit, const double *norm,
                                      double dloss, double *do_);

/* --- C.7: (C.7) competition balance is (B.4) on the responses: smoe_balance_loss(1, T, N, s, f, q, P, loss) --- */

/* --- C.8: the layer and its total loss --- */

typedef enum { SMOE_COUNT_ALL, SMOE_COUNT_FIRST } smoe_count;                   /* f from all choices, or the first */
typedef enum { SMOE_TARGET_DETACHED, SMOE_TARGET_ATTACHED } smoe_target;        /* is q constant in (C.5)? */
typedef enum { SMOE_DIVERSITY_PAIRS, SMOE_DIVERSITY_SQUARE } smoe_diversity;    /* which (C.6) */

typedef struct {
    smoe_count count;
    smoe_target target;
    smoe_diversity diversity;
    double theta;                                           /* weight of the winners in (C.5) */
    double c_distill, c_diversity, c_balance, c_zloss;      /* coefficients of the terms in the total loss */
} smoe_compete_options;

typedef struct {
    double *y;              /* [T,d] */
    double *r, *s;          /* [T,N] logits; responses (zeros from smoe_router_step) */
    size_t *index;          /* [T,K] */
    double *weight;         /* [T,K] */
    double *margin;         /* [T] on s (smoe_compete_step) or on r (smoe_router_step) */
    double *loss, *distill, *diversity, *balance, *zloss;   /* [] the total and its terms, terms without coefficients */
} smoe_compete_out;

/* Cotangents: dy [T,d], dweight [T,K], and one number for the total and for each term. */
typedef struct {
    const double *y, *weight;
    double loss, distill, diversity, balance, zloss;
} smoe_compete_cot;

/* What smoe_compete_step keeps for its vjp. */
typedef struct {
    double *o;              /* [T,N,d] outputs of all experts on all tokens */
    double *a, *u;          /* [N,T,h] inside the experts, before and after the activation */
    double *e;              /* [T,d] the outputs of one expert */
    double *p, *q;          /* [T,N] softmax(r), softmax(s) */
    double *f, *P;          /* [N] */
    double *won, *unit;     /* [T,K,d] outputs of the winners, and these divided by their norms */
    double *norm;           /* [T,K] */
    double *value;          /* [K] */
    size_t *count;          /* [N] */
} smoe_compete_kept;

/* (C.8) A step with competition:
 *   o = E_i(x_t) for all i;  s, I, weight, y by (C.1) (C.2) (C.3);  r by (G.1);
 *   distill = (C.5) of r and s;  diversity = (C.6) of the winners, in the order of index;
 *   balance = (C.7), f counted from I;  zloss = 0;
 *   loss = c_distill distill + c_diversity diversity + c_balance balance, left to right
 *
 * shape->order is not used.  Errors: SMOE_EINVAL if T = 0; SMOE_EDOM as smoe_route.
 * Source: CompeteSMoE v2, its code; spec C.8.
 */
smoe_status smoe_compete_step(const smoe_layer_shape *shape, const smoe_compete_options *opt, const smoe_layer_in *in,
                              const smoe_compete_out *out, const smoe_compete_kept *kept);

/* Doubles that smoe_compete_step_vjp needs as `work`. */
/*@ requires \valid_read(shape);
    assigns \nothing; */
size_t smoe_compete_step_vjp_work(const smoe_layer_shape *shape);

/* ..., gradient.  Each term has the total cotangent  g_term = cot->term + c_term cot->loss.  Contributions are added in
 * this order:
 *   s:  (C.5) if the target is attached, + (C.7), + (C.2);     r:  (C.5);
 *   o:  (C.3) + (C.1), + (C.6);                                x:  experts, i ascending, started at 0; + gate
 */
smoe_status smoe_compete_step_vjp(const smoe_layer_shape *shape, const smoe_compete_options *opt,
                                  const smoe_layer_in *in, const smoe_compete_out *out, const smoe_compete_kept *kept,
                                  const smoe_compete_cot *cot, const smoe_layer_grad *grad, double *work);

/* What smoe_router_step keeps for its vjp. */
typedef struct {
    smoe_layer_kept layer;
    double *p;              /* [T,N] softmax(r) */
    double *f, *P;          /* [N] */
    double *lse;            /* [T] */
    size_t *count;          /* [N] */
} smoe_router_kept;

/* (C.8) A step without competition:  y, r, index, weight, margin of the SMoE layer (L.3);  balance = (B.4) on r with f
 * counted from I;  zloss = (B.6);  distill = diversity = 0;  s = 0;  loss = c_balance balance + c_zloss zloss
 *
 * Errors: SMOE_EINVAL if T = 0.
 */
smoe_status smoe_router_step(const smoe_layer_shape *shape, const smoe_compete_options *opt, const smoe_layer_in *in,
                             const smoe_compete_out *out, const smoe_router_kept *kept);

/* Doubles that smoe_router_step_vjp needs as `work`. */
/*@ requires \valid_read(shape);
    assigns \nothing; */
size_t smoe_router_step_vjp_work(const smoe_layer_shape *shape);

/* ..., gradient:  r receives (weights) + ((B.4) + (B.6));  x: experts, then gate, as smoe_layer_vjp */
smoe_status smoe_router_step_vjp(const smoe_layer_shape *shape, const smoe_compete_options *opt,
                                 const smoe_layer_in *in, const smoe_compete_out *out, const smoe_router_kept *kept,
                                 const smoe_compete_cot *cot, const smoe_layer_grad *grad, double *work);

#endif
