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
    assigns weight[0 .. K-1];
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
    assigns dvalue[0 .. K-1];
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

/* (C.2) Weights by squashed responses:  v_j = sigmoid(value_j),  weight_j = v_j / sum_l v_l
 *
 *   v  [K]  out (the vjp: work)
 *
 * Errors: SMOE_EDOM if the sum underflows to 0.  Source: an option of CompeteSMoE v2's code.
 */
/*@ requires \valid_read(value + (0 .. K-1)) && \valid(weight + (0 .. K-1)) && \valid(v + (0 .. K-1));
    requires \separated(value + (0 .. K-1), weight + (0 .. K-1), v + (0 .. K-1));
    assigns weight[0 .. K-1], v[0 .. K-1];
    ensures K == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_compete_weights_sigmoid(size_t K, const double *value, double *weight, double *v);
/*@ requires \valid_read(value + (0 .. K-1)) && \valid_read(weight + (0 .. K-1));
    requires \valid_read(dweight + (0 .. K-1)) && \valid(dvalue + (0 .. K-1)) && \valid(v + (0 .. K-1));
    requires \separated(value + (0 .. K-1), dvalue + (0 .. K-1), v + (0 .. K-1));
    requires \separated(weight + (0 .. K-1), dvalue + (0 .. K-1), v + (0 .. K-1));
    requires \separated(dweight + (0 .. K-1), dvalue + (0 .. K-1), v + (0 .. K-1));
    assigns dvalue[0 .. K-1], v[0 .. K-1];
    ensures K == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_compete_weights_sigmoid_vjp(size_t K, const double *value, const double *weight,
                                             const double *dweight, double *dvalue, double *v);

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

/* (C.5) The winners' term alone, on probabilities:  loss = theta (1/(T K)) sum_t sum_j (p - q)^2_{t,index_{t,j}}
 * Source: an option of CompeteSMoE v2's language-model code. */
/*@ requires smoe_size(T*N) && smoe_size(T*K) && \valid_read(p + (0 .. T*N-1)) && \valid_read(q + (0 .. T*N-1));
    requires \valid_read(index + (0 .. T*K-1)) && \valid(loss);
    requires \separated(loss, p + (0 .. T*N-1)) && \separated(loss, q + (0 .. T*N-1));
    requires \separated(loss, index + (0 .. T*K-1));
    assigns *loss;
    ensures T == 0 || K == 0 || K > N ==> \result == SMOE_EINVAL; */
smoe_status smoe_distill_winners_loss(size_t T, size_t N, size_t K, double theta, const double *p, const double *q,
                                      const size_t *index, double *loss);

/* ..., gradients on scores (p and q as smoe_distill leaves them):  dr_t = softmax vjp of
 * [i in I_t] (2 dloss theta/(T K)) (p - q)_{t,i};  ds_t with the sign turned, when the target is NOT detached.
 * dp, dq [N]  work */
/*@ requires smoe_size(T*N) && smoe_size(T*K) && \valid_read(p + (0 .. T*N-1)) && \valid_read(q + (0 .. T*N-1));
    requires \valid_read(index + (0 .. T*K-1)) && \valid(dr + (0 .. T*N-1)) && \valid(dp + (0 .. N-1));
    requires \separated(p + (0 .. T*N-1), dr + (0 .. T*N-1), dp + (0 .. N-1));
    requires \separated(q + (0 .. T*N-1), dr + (0 .. T*N-1), dp + (0 .. N-1));
    requires \separated(index + (0 .. T*K-1), dr + (0 .. T*N-1), dp + (0 .. N-1));
    assigns dr[0 .. T*N-1], dp[0 .. N-1];
    ensures T == 0 || K == 0 || K > N ==> \result == SMOE_EINVAL; */
smoe_status smoe_distill_winners_vjp(size_t T, size_t N, size_t K, double theta, const double *p, const double *q,
                                     const size_t *index, double dloss, double *dr, double *dp);
/*@ requires smoe_size(T*N) && smoe_size(T*K) && \valid_read(p + (0 .. T*N-1)) && \valid_read(q + (0 .. T*N-1));
    requires \valid_read(index + (0 .. T*K-1)) && \valid(ds + (0 .. T*N-1)) && \valid(dq + (0 .. N-1));
    requires \separated(p + (0 .. T*N-1), ds + (0 .. T*N-1), dq + (0 .. N-1));
    requires \separated(q + (0 .. T*N-1), ds + (0 .. T*N-1), dq + (0 .. N-1));
    requires \separated(index + (0 .. T*K-1), ds + (0 .. T*N-1), dq + (0 .. N-1));
    assigns ds[0 .. T*N-1], dq[0 .. N-1];
    ensures T == 0 || K == 0 || K > N ==> \result == SMOE_EINVAL; */
smoe_status smoe_distill_winners_target_vjp(size_t T, size_t N, size_t K, double theta, const double *p,
                                            const double *q, const size_t *index, double dloss, double *ds, double *dq);

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

typedef enum { SMOE_VERSION_2, SMOE_VERSION_1 } smoe_version;                   /* of the terms of a step */
typedef enum {                                                                  /* which (C.1) */
    SMOE_RESPONSE_SOFTPLUS, SMOE_RESPONSE_NORM, SMOE_RESPONSE_RELU, SMOE_RESPONSE_SIGMOID, SMOE_RESPONSE_SILU
} smoe_response;
typedef enum {                                                                  /* which (C.2) */
    SMOE_WEIGHTS_RATIO, SMOE_WEIGHTS_SOFTMAX, SMOE_WEIGHTS_SIGMOID_RATIO
} smoe_winner_weights;

/* What is not named in an initialiser is 0, which is version 2's choice.  c_task is read by (C.14) alone. */
typedef struct {
    smoe_version version;
    smoe_response response;
    smoe_winner_weights weights;
    double mix;                                             /* share of r in s (C.11); 0: none, and s is the response */
    smoe_count count;
    smoe_target target;
    smoe_diversity diversity;
    double theta;                                           /* weight of the winners in (C.5) */
    double c_task;
    double c_distill, c_diversity, c_balance, c_zloss;      /* coefficients of the terms in the total loss */
    size_t chunk;                                           /* tokens whose activations are there at a time; 0: all.  It
                                                               changes memory and time, no bit */
} smoe_compete_options;

/*@ logic integer smoe_chunk(smoe_layer_shape *s, smoe_compete_options *o) =
      0 < o->chunk < s->T ? o->chunk : s->T; */

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

/* What smoe_compete_step keeps for its vjp.  C = opt->chunk tokens, or T: where C < T the vjp computes the activations
 * of each chunk again. */
typedef struct {
    double *o;              /* [C,N,d] outputs of all experts on a chunk of tokens */
    double *a, *u;          /* [N,C,h] inside the experts, before and after the activation */
    double *e;              /* [C,d] the outputs of one expert */
    double *response;       /* [T,N] before (C.11) */
    double *p, *q, *qs;     /* [T,N] softmax(r), the target (C.4) or (C.9), softmax(s) of (C.7) */
    double *f, *P;          /* [N] */
    double *won, *unit;     /* [C,K,d] outputs of the winners, and these divided by their norms */
    double *norm;           /* [C,K] */
    double *value;          /* [4 N] */
    size_t *count;          /* [N] */
} smoe_compete_kept;

/* (C.8) A step with competition:
 *   o = E_i(x_t) for all i;  r by (G.1);  s by (C.1), mixed with r by (C.11) if mix is not 0;
 *   I, weight, y by (C.2) (C.3);
 *   distill = (C.5) of r and s;  diversity = (C.6) of the winners, in the order of index;
 *   balance = (C.7), f counted from I;  zloss = 0;
 *   loss = c_distill distill + c_diversity diversity + c_balance balance, left to right
 * Version 1:  distill = (C.9), mean squared error;  diversity = 0.
 *
 * shape->order is not used.  Errors: SMOE_EINVAL if T = 0 or an option is unknown; SMOE_EDOM if there are no weights
 * (the sum of the winners' responses is not positive).
 * Source: CompeteSMoE v2, its code; spec C.8.
 */
/*@ requires \valid_read(shape) && \valid_read(opt) && \valid_read(in) && \valid_read(out) && \valid_read(kept);
    requires \let T = shape->T; \let d = shape->d; \let h = shape->h; \let N = shape->N; \let K = shape->K;
             \let C = smoe_chunk(shape, opt);
             \valid_read(in->x + (0 .. T*d-1)) && \valid_read(in->wr + (0 .. N*d-1)) &&
             \valid_read(in->br + (0 .. N-1)) &&
             \valid_read(in->w1 + (0 .. N*h*d-1)) && \valid_read(in->b1 + (0 .. N*h-1)) &&
             \valid_read(in->w2 + (0 .. N*d*h-1)) && \valid_read(in->b2 + (0 .. N*d-1)) &&
             \valid(out->y + (0 .. T*d-1)) && \valid(out->r + (0 .. T*N-1)) && \valid(out->s + (0 .. T*N-1)) &&
             \valid(out->index + (0 .. T*K-1)) && \valid(out->weight + (0 .. T*K-1)) &&
             \valid(out->margin + (0 .. T-1)) && \valid(out->loss) && \valid(out->distill) &&
             \valid(out->diversity) && \valid(out->balance) && \valid(out->zloss) &&
             \valid(kept->o + (0 .. C*N*d-1)) && \valid(kept->a + (0 .. N*C*h-1)) && \valid(kept->u + (0 .. N*C*h-1)) &&
             \valid(kept->e + (0 .. C*d-1)) && \valid(kept->response + (0 .. T*N-1)) &&
             \valid(kept->p + (0 .. T*N-1)) && \valid(kept->q + (0 .. T*N-1)) && \valid(kept->qs + (0 .. T*N-1)) &&
             \valid(kept->f + (0 .. N-1)) && \valid(kept->P + (0 .. N-1)) && \valid(kept->won + (0 .. C*K*d-1)) &&
             \valid(kept->unit + (0 .. C*K*d-1)) && \valid(kept->norm + (0 .. C*K-1)) &&
             \valid(kept->value + (0 .. 4*N-1)) && \valid(kept->count + (0 .. N-1));
    assigns out->y[0 .. shape->T*shape->d-1], out->r[0 .. shape->T*shape->N-1], out->s[0 .. shape->T*shape->N-1],
            out->index[0 .. shape->T*shape->K-1], out->weight[0 .. shape->T*shape->K-1],
            out->margin[0 .. shape->T-1], *out->loss, *out->distill, *out->diversity, *out->balance, *out->zloss,
            kept->o[0 .. smoe_chunk(shape, opt)*shape->N*shape->d-1],
            kept->a[0 .. shape->N*smoe_chunk(shape, opt)*shape->h-1],
            kept->u[0 .. shape->N*smoe_chunk(shape, opt)*shape->h-1], kept->e[0 .. smoe_chunk(shape, opt)*shape->d-1],
            kept->response[0 .. shape->T*shape->N-1], kept->p[0 .. shape->T*shape->N-1],
            kept->q[0 .. shape->T*shape->N-1], kept->qs[0 .. shape->T*shape->N-1], kept->f[0 .. shape->N-1],
            kept->P[0 .. shape->N-1], kept->won[0 .. smoe_chunk(shape, opt)*shape->K*shape->d-1],
            kept->unit[0 .. smoe_chunk(shape, opt)*shape->K*shape->d-1],
            kept->norm[0 .. smoe_chunk(shape, opt)*shape->K-1],
            kept->value[0 .. 4*shape->N-1], kept->count[0 .. shape->N-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_compete_step(const smoe_layer_shape *shape, const smoe_compete_options *opt, const smoe_layer_in *in,
                              const smoe_compete_out *out, const smoe_compete_kept *kept);

/* Doubles that smoe_compete_step_vjp needs as `work`:  3 T N + T d + C (N d + K d + 2 d + h) + N d + 7 N + 4 K. */
/*@ requires \valid_read(shape) && \valid_read(opt);
    assigns \nothing; */
size_t smoe_compete_step_vjp_work(const smoe_layer_shape *shape, const smoe_compete_options *opt);

/* ..., gradient.  Each term has the total cotangent  g_term = cot->term + c_term cot->loss.  Contributions are added in
 * this order:
 *   s:  (C.5) or (C.9) if the target is attached, + (C.7), + (C.2);     r:  (C.5) or (C.9), + (C.11);
 *   o:  (C.3) + (C.1), + (C.6);                                         x:  experts, i ascending, started at 0; + gate
 */
/*@ requires \valid_read(shape) && \valid_read(opt) && \valid_read(in) && \valid_read(out) && \valid_read(kept);
    requires \valid_read(cot) && \valid_read(grad);
    requires \let T = shape->T; \let d = shape->d; \let h = shape->h; \let N = shape->N; \let K = shape->K;
             \let C = smoe_chunk(shape, opt);
             \valid_read(cot->y + (0 .. T*d-1)) && \valid_read(cot->weight + (0 .. T*K-1)) &&
             \valid(grad->x + (0 .. T*d-1)) && \valid(grad->wr + (0 .. N*d-1)) && \valid(grad->br + (0 .. N-1)) &&
             \valid(grad->w1 + (0 .. N*h*d-1)) && \valid(grad->b1 + (0 .. N*h-1)) &&
             \valid(grad->w2 + (0 .. N*d*h-1)) && \valid(grad->b2 + (0 .. N*d-1)) &&
             \valid(work + (0 .. 3*T*N+T*d+C*(N*d+K*d+2*d+h)+N*d+7*N+4*K-1));
    assigns grad->x[0 .. shape->T*shape->d-1], grad->wr[0 .. shape->N*shape->d-1], grad->br[0 .. shape->N-1],
            grad->w1[0 .. shape->N*shape->h*shape->d-1], grad->b1[0 .. shape->N*shape->h-1],
            grad->w2[0 .. shape->N*shape->d*shape->h-1], grad->b2[0 .. shape->N*shape->d-1],
            work[0 .. 3*shape->T*shape->N+shape->T*shape->d+
                      smoe_chunk(shape, opt)*(shape->N*shape->d+shape->K*shape->d+2*shape->d+shape->h)+
                      shape->N*shape->d+7*shape->N+4*shape->K-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
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
 * counted from I;  zloss = (B.6), with version 1: 0;  distill = diversity = 0;  s = 0;
 * loss = c_balance balance + c_zloss zloss (version 1: c_balance balance)
 *
 * Nothing of an earlier step is read: every output starts anew.  Errors: SMOE_EINVAL if T = 0.
 */
/*@ requires \valid_read(shape) && \valid_read(opt) && \valid_read(in) && \valid_read(out) && \valid_read(kept);
    requires \let T = shape->T; \let d = shape->d; \let h = shape->h; \let N = shape->N; \let K = shape->K;
             \valid_read(in->x + (0 .. T*d-1)) && \valid_read(in->wr + (0 .. N*d-1)) &&
             \valid_read(in->br + (0 .. N-1)) &&
             \valid_read(in->w1 + (0 .. N*h*d-1)) && \valid_read(in->b1 + (0 .. N*h-1)) &&
             \valid_read(in->w2 + (0 .. N*d*h-1)) && \valid_read(in->b2 + (0 .. N*d-1)) &&
             \valid(out->y + (0 .. T*d-1)) && \valid(out->r + (0 .. T*N-1)) && \valid(out->s + (0 .. T*N-1)) &&
             \valid(out->index + (0 .. T*K-1)) && \valid(out->weight + (0 .. T*K-1)) &&
             \valid(out->margin + (0 .. T-1)) && \valid(out->loss) && \valid(out->distill) &&
             \valid(out->diversity) && \valid(out->balance) && \valid(out->zloss) &&
             \valid(kept->layer.offset + (0 .. N)) && \valid(kept->layer.slot + (0 .. T*K-1)) &&
             \valid(kept->layer.place + (0 .. T*K-1)) && \valid(kept->layer.p + (0 .. T*N-1)) &&
             \valid(kept->layer.xs + (0 .. T*K*d-1)) && \valid(kept->layer.o + (0 .. T*K*d-1)) &&
             \valid(kept->layer.a + (0 .. T*K*h-1)) && \valid(kept->layer.u + (0 .. T*K*h-1)) &&
             \valid(kept->p + (0 .. T*N-1)) && \valid(kept->f + (0 .. N-1)) && \valid(kept->P + (0 .. N-1)) &&
             \valid(kept->lse + (0 .. T-1)) && \valid(kept->count + (0 .. N-1));
    assigns out->y[0 .. shape->T*shape->d-1], out->r[0 .. shape->T*shape->N-1], out->s[0 .. shape->T*shape->N-1],
            out->index[0 .. shape->T*shape->K-1], out->weight[0 .. shape->T*shape->K-1],
            out->margin[0 .. shape->T-1], *out->loss, *out->distill, *out->diversity, *out->balance, *out->zloss,
            kept->layer.offset[0 .. shape->N], kept->layer.slot[0 .. shape->T*shape->K-1],
            kept->layer.place[0 .. shape->T*shape->K-1], kept->layer.p[0 .. shape->T*shape->N-1],
            kept->layer.xs[0 .. shape->T*shape->K*shape->d-1], kept->layer.o[0 .. shape->T*shape->K*shape->d-1],
            kept->layer.a[0 .. shape->T*shape->K*shape->h-1], kept->layer.u[0 .. shape->T*shape->K*shape->h-1],
            kept->p[0 .. shape->T*shape->N-1], kept->f[0 .. shape->N-1], kept->P[0 .. shape->N-1],
            kept->lse[0 .. shape->T-1], kept->count[0 .. shape->N-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_router_step(const smoe_layer_shape *shape, const smoe_compete_options *opt, const smoe_layer_in *in,
                             const smoe_compete_out *out, const smoe_router_kept *kept);

/* Doubles that smoe_router_step_vjp needs as `work`:  2 T N + 2 N + those of smoe_layer_vjp. */
/*@ requires \valid_read(shape);
    assigns \nothing; */
size_t smoe_router_step_vjp_work(const smoe_layer_shape *shape);

/* ..., gradient:  r receives (weights) + ((B.4) + (B.6));  x: experts, then gate, as smoe_layer_vjp */
/*@ requires \valid_read(shape) && \valid_read(opt) && \valid_read(in) && \valid_read(out) && \valid_read(kept);
    requires \valid_read(cot) && \valid_read(grad);
    requires \let T = shape->T; \let d = shape->d; \let h = shape->h; \let N = shape->N; \let K = shape->K;
             \valid_read(cot->y + (0 .. T*d-1)) && \valid_read(cot->weight + (0 .. T*K-1)) &&
             \valid(grad->x + (0 .. T*d-1)) && \valid(grad->wr + (0 .. N*d-1)) && \valid(grad->br + (0 .. N-1)) &&
             \valid(grad->w1 + (0 .. N*h*d-1)) && \valid(grad->b1 + (0 .. N*h-1)) &&
             \valid(grad->w2 + (0 .. N*d*h-1)) && \valid(grad->b2 + (0 .. N*d-1)) &&
             \valid(work + (0 .. 3*T*N+3*N+T*K*(2*d+h+1)-1));
    assigns grad->x[0 .. shape->T*shape->d-1], grad->wr[0 .. shape->N*shape->d-1], grad->br[0 .. shape->N-1],
            grad->w1[0 .. shape->N*shape->h*shape->d-1], grad->b1[0 .. shape->N*shape->h-1],
            grad->w2[0 .. shape->N*shape->d*shape->h-1], grad->b2[0 .. shape->N*shape->d-1],
            work[0 .. 3*shape->T*shape->N+3*shape->N+shape->T*shape->K*(2*shape->d+shape->h+1)-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_router_step_vjp(const smoe_layer_shape *shape, const smoe_compete_options *opt,
                                 const smoe_layer_in *in, const smoe_compete_out *out, const smoe_router_kept *kept,
                                 const smoe_compete_cot *cot, const smoe_layer_grad *grad, double *work);

/* --- C.9: version 1's distillation ---
 *
 *   r, s   [T,N]  the router's logits, the responses;   index [T,K] the winners, TopK(s)
 *   p, q   [T,N]  out: softmax(r);  the target, softmax of the winners' responses, exactly 0 for who did not win
 *   loss   []     out
 *   work   [4 N]  what is called so below
 *
 * Three distances of p and q.  Each sum is one chain of fused multiply-adds from 0, t ascending, then i ascending or j
 * in the order of index, divided at the end.  `_vjp` is the gradient of r, `_target_vjp` that of s when the target is
 * NOT detached; it is exactly 0 for who did not win.
 */

/* (C.9) Target of one token:  q_{I_j} = softmax(s_I)_j,  0 outside I.   s, q [N]   index [K]   work [2 K]
 * Source: CompeteSMoE v1 (arXiv 2402.02526), its code, which puts -1e10 in the losers' place. */
/*@ requires \valid_read(s + (0 .. N-1)) && \valid_read(index + (0 .. K-1));
    requires \valid(q + (0 .. N-1)) && \valid(work + (0 .. 2*K-1)) && smoe_size(2*K);
    requires \separated(s + (0 .. N-1), q + (0 .. N-1), work + (0 .. 2*K-1));
    requires \separated(index + (0 .. K-1), q + (0 .. N-1), work + (0 .. 2*K-1));
    assigns q[0 .. N-1], work[0 .. 2*K-1];
    ensures K == 0 || K > N ==> \result == SMOE_EINVAL;
    ensures \result == SMOE_OK ==> \forall integer j; 0 <= j < K ==> index[j] < N; */
smoe_status smoe_target_masked(size_t N, size_t K, const double *s, const size_t *index, double *q, double *work);

/* ..., gradient:  ds_I = softmax vjp of dq_I,  0 outside I.   q, dq, ds [N]   work [3 K] */
/*@ requires \valid_read(q + (0 .. N-1)) && \valid_read(dq + (0 .. N-1)) && \valid_read(index + (0 .. K-1));
    requires \valid(ds + (0 .. N-1)) && \valid(work + (0 .. 3*K-1)) && smoe_size(3*K);
    requires \separated(q + (0 .. N-1), ds + (0 .. N-1), work + (0 .. 3*K-1));
    requires \separated(dq + (0 .. N-1), ds + (0 .. N-1), work + (0 .. 3*K-1));
    requires \separated(index + (0 .. K-1), ds + (0 .. N-1), work + (0 .. 3*K-1));
    assigns ds[0 .. N-1], work[0 .. 3*K-1];
    ensures K == 0 || K > N ==> \result == SMOE_EINVAL;
    ensures \result == SMOE_OK ==> \forall integer j; 0 <= j < K ==> index[j] < N; */
smoe_status smoe_target_masked_vjp(size_t N, size_t K, const double *q, const size_t *index, const double *dq,
                                   double *ds, double *work);

/* (C.9) Mean squared error:  loss = (1/(T N)) sum_{t,i} (p_{t,i} - q_{t,i})^2
 * Source: CompeteSMoE v1, its code (with the scores aligned, which its code fails to do). */
/*@ requires smoe_size(T*N) && smoe_size(T*K) && smoe_size(4*N) && \valid_read(r + (0 .. T*N-1));
    requires \valid_read(s + (0 .. T*N-1)) && \valid_read(index + (0 .. T*K-1));
    requires \valid(p + (0 .. T*N-1)) && \valid(q + (0 .. T*N-1)) && \valid(loss) && \valid(work + (0 .. 4*N-1));
    requires \separated(r + (0 .. T*N-1), p + (0 .. T*N-1), q + (0 .. T*N-1), loss, work + (0 .. 4*N-1));
    requires \separated(s + (0 .. T*N-1), p + (0 .. T*N-1), q + (0 .. T*N-1), loss, work + (0 .. 4*N-1));
    requires \separated(index + (0 .. T*K-1), p + (0 .. T*N-1), q + (0 .. T*N-1), loss, work + (0 .. 4*N-1));
    assigns p[0 .. T*N-1], q[0 .. T*N-1], *loss, work[0 .. 4*N-1];
    ensures T == 0 || K == 0 || K > N ==> \result == SMOE_EINVAL; */
smoe_status smoe_distill_v1(size_t T, size_t N, size_t K, const double *r, const double *s, const size_t *index,
                            double *p, double *q, double *loss, double *work);
/*@ requires smoe_size(T*N) && \valid_read(p + (0 .. T*N-1)) && \valid_read(q + (0 .. T*N-1));
    requires \valid(dr + (0 .. T*N-1)) && \valid(work + (0 .. N-1));
    requires \separated(p + (0 .. T*N-1), dr + (0 .. T*N-1), work + (0 .. N-1));
    requires \separated(q + (0 .. T*N-1), dr + (0 .. T*N-1), work + (0 .. N-1));
    assigns dr[0 .. T*N-1], work[0 .. N-1];
    ensures T == 0 || N == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_distill_v1_vjp(size_t T, size_t N, const double *p, const double *q, double dloss, double *dr,
                                double *work);
/*@ requires smoe_size(T*N) && smoe_size(T*K) && smoe_size(4*N) && \valid_read(p + (0 .. T*N-1));
    requires \valid_read(q + (0 .. T*N-1)) && \valid_read(index + (0 .. T*K-1));
    requires \valid(ds + (0 .. T*N-1)) && \valid(work + (0 .. 4*N-1));
    requires \separated(p + (0 .. T*N-1), ds + (0 .. T*N-1), work + (0 .. 4*N-1));
    requires \separated(q + (0 .. T*N-1), ds + (0 .. T*N-1), work + (0 .. 4*N-1));
    requires \separated(index + (0 .. T*K-1), ds + (0 .. T*N-1), work + (0 .. 4*N-1));
    assigns ds[0 .. T*N-1], work[0 .. 4*N-1];
    ensures T == 0 || K == 0 || K > N ==> \result == SMOE_EINVAL; */
smoe_status smoe_distill_v1_target_vjp(size_t T, size_t N, size_t K, const double *p, const double *q,
                                       const size_t *index, double dloss, double *ds, double *work);

/* (C.9) l_j = ln(q/p) of winner j = (s_{I_j} - lse(s_I)) - (r_{I_j} - lse(r)), of one token: finite also where q or p
 * underflows.   r, s [N]   index [K]   l [K] out */
/*@ requires \valid_read(r + (0 .. N-1)) && \valid_read(s + (0 .. N-1)) && \valid_read(index + (0 .. K-1));
    requires \valid(l + (0 .. K-1)) && \separated(r + (0 .. N-1), l + (0 .. K-1));
    requires \separated(s + (0 .. N-1), l + (0 .. K-1)) && \separated(index + (0 .. K-1), l + (0 .. K-1));
    assigns l[0 .. K-1];
    ensures K == 0 || K > N ==> \result == SMOE_EINVAL;
    ensures \result == SMOE_OK ==> \forall integer j; 0 <= j < K ==> index[j] < N; */
smoe_status smoe_log_ratio(size_t N, size_t K, const double *r, const double *s, const size_t *index, double *l);

/* (C.9) Kullback-Leibler divergence of the router from the target:  loss = (1/T) sum_t sum_{i in I_t} q ln(q/p)
 * Source: the direction is ours, the one that is finite; CompeteSMoE v1's code has the other one, clamped (below). */
/*@ requires smoe_size(T*N) && smoe_size(T*K) && smoe_size(4*N) && \valid_read(r + (0 .. T*N-1));
    requires \valid_read(s + (0 .. T*N-1)) && \valid_read(index + (0 .. T*K-1));
    requires \valid(p + (0 .. T*N-1)) && \valid(q + (0 .. T*N-1)) && \valid(loss) && \valid(work + (0 .. 4*N-1));
    requires \separated(r + (0 .. T*N-1), p + (0 .. T*N-1), q + (0 .. T*N-1), loss, work + (0 .. 4*N-1));
    requires \separated(s + (0 .. T*N-1), p + (0 .. T*N-1), q + (0 .. T*N-1), loss, work + (0 .. 4*N-1));
    requires \separated(index + (0 .. T*K-1), p + (0 .. T*N-1), q + (0 .. T*N-1), loss, work + (0 .. 4*N-1));
    assigns p[0 .. T*N-1], q[0 .. T*N-1], *loss, work[0 .. 4*N-1];
    ensures T == 0 || K == 0 || K > N ==> \result == SMOE_EINVAL; */
smoe_status smoe_distill_kl(size_t T, size_t N, size_t K, const double *r, const double *s, const size_t *index,
                            double *p, double *q, double *loss, double *work);
/* (C.9), gradient of the divergence:  dr = (dloss/T) (p - q);   ds_I = softmax vjp of (dloss/T) l */
/*@ requires smoe_size(T*N) && \valid_read(p + (0 .. T*N-1)) && \valid_read(q + (0 .. T*N-1));
    requires \valid(dr + (0 .. T*N-1)) && \separated(p + (0 .. T*N-1), dr + (0 .. T*N-1));
    requires \separated(q + (0 .. T*N-1), dr + (0 .. T*N-1));
    assigns dr[0 .. T*N-1];
    ensures T == 0 || N == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_distill_kl_vjp(size_t T, size_t N, const double *p, const double *q, double dloss, double *dr);
/*@ requires smoe_size(T*N) && smoe_size(T*K) && smoe_size(4*N) && \valid_read(r + (0 .. T*N-1));
    requires \valid_read(s + (0 .. T*N-1)) && \valid_read(q + (0 .. T*N-1)) && \valid_read(index + (0 .. T*K-1));
    requires \valid(ds + (0 .. T*N-1)) && \valid(work + (0 .. 4*N-1));
    requires \separated(r + (0 .. T*N-1), ds + (0 .. T*N-1), work + (0 .. 4*N-1));
    requires \separated(s + (0 .. T*N-1), ds + (0 .. T*N-1), work + (0 .. 4*N-1));
    requires \separated(q + (0 .. T*N-1), ds + (0 .. T*N-1), work + (0 .. 4*N-1));
    requires \separated(index + (0 .. T*K-1), ds + (0 .. T*N-1), work + (0 .. 4*N-1));
    assigns ds[0 .. T*N-1], work[0 .. 4*N-1];
    ensures T == 0 || K == 0 || K > N ==> \result == SMOE_EINVAL; */
smoe_status smoe_distill_kl_target_vjp(size_t T, size_t N, size_t K, const double *r, const double *s, const double *q,
                                       const size_t *index, double dloss, double *ds, double *work);

/* (C.9) The other direction, clamped:  loss = (1/T) sum_t sum_i p ln(p / max(q, c)),  c the double nearest to 1e-6
 * Source: CompeteSMoE v1's option `kl` through torchmetrics (from memory). */
/*@ requires smoe_size(T*N) && smoe_size(T*K) && smoe_size(4*N) && \valid_read(r + (0 .. T*N-1));
    requires \valid_read(s + (0 .. T*N-1)) && \valid_read(index + (0 .. T*K-1));
    requires \valid(p + (0 .. T*N-1)) && \valid(q + (0 .. T*N-1)) && \valid(loss) && \valid(work + (0 .. 4*N-1));
    requires \separated(r + (0 .. T*N-1), p + (0 .. T*N-1), q + (0 .. T*N-1), loss, work + (0 .. 4*N-1));
    requires \separated(s + (0 .. T*N-1), p + (0 .. T*N-1), q + (0 .. T*N-1), loss, work + (0 .. 4*N-1));
    requires \separated(index + (0 .. T*K-1), p + (0 .. T*N-1), q + (0 .. T*N-1), loss, work + (0 .. 4*N-1));
    assigns p[0 .. T*N-1], q[0 .. T*N-1], *loss, work[0 .. 4*N-1];
    ensures T == 0 || K == 0 || K > N ==> \result == SMOE_EINVAL; */
smoe_status smoe_distill_kl_clamped(size_t T, size_t N, size_t K, const double *r, const double *s,
                                    const size_t *index, double *p, double *q, double *loss, double *work);
/* ..., gradient:  dr_t = softmax vjp of (dloss/T) ln(p / max(q, c));  dq_i = -(dloss/T) p_i / q_i if q_i > c, else 0 */
/*@ requires smoe_size(T*N) && smoe_size(4*N) && \valid_read(r + (0 .. T*N-1));
    requires \valid_read(p + (0 .. T*N-1)) && \valid_read(q + (0 .. T*N-1));
    requires \valid(dr + (0 .. T*N-1)) && \valid(work + (0 .. 4*N-1));
    requires \separated(r + (0 .. T*N-1), dr + (0 .. T*N-1), work + (0 .. 4*N-1));
    requires \separated(p + (0 .. T*N-1), dr + (0 .. T*N-1), work + (0 .. 4*N-1));
    requires \separated(q + (0 .. T*N-1), dr + (0 .. T*N-1), work + (0 .. 4*N-1));
    assigns dr[0 .. T*N-1], work[0 .. 4*N-1];
    ensures T == 0 || N == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_distill_kl_clamped_vjp(size_t T, size_t N, const double *r, const double *p, const double *q,
                                        double dloss, double *dr, double *work);
/*@ requires smoe_size(T*N) && smoe_size(T*K) && smoe_size(4*N) && \valid_read(p + (0 .. T*N-1));
    requires \valid_read(q + (0 .. T*N-1)) && \valid_read(index + (0 .. T*K-1));
    requires \valid(ds + (0 .. T*N-1)) && \valid(work + (0 .. 4*N-1));
    requires \separated(p + (0 .. T*N-1), ds + (0 .. T*N-1), work + (0 .. 4*N-1));
    requires \separated(q + (0 .. T*N-1), ds + (0 .. T*N-1), work + (0 .. 4*N-1));
    requires \separated(index + (0 .. T*K-1), ds + (0 .. T*N-1), work + (0 .. 4*N-1));
    assigns ds[0 .. T*N-1], work[0 .. 4*N-1];
    ensures T == 0 || K == 0 || K > N ==> \result == SMOE_EINVAL; */
smoe_status smoe_distill_kl_clamped_target_vjp(size_t T, size_t N, size_t K, const double *p, const double *q,
                                               const size_t *index, double dloss, double *ds, double *work);

/* --- C.10: the balance of a competition as an operation of its own --- */

/* (C.10) Fractions of one sequence:  f_i = c_i / A,  c_i the winners of S tokens, all choices (B.1) or first ones
 *
 *   index  [S,K]  the winners      A   S K or S (first choices: S either way)
 *   count  [N]    out: c           f   [N]  out
 *
 * Errors: SMOE_EINVAL also if A = 0.  SMOE_EDOM also if a c_i is above A: count, which tells, is written then.
 */
/*@ requires smoe_size(S*K) && \valid_read(index + (0 .. S*K-1));
    requires \valid(count + (0 .. N-1)) && \valid(f + (0 .. N-1));
    requires \separated(index + (0 .. S*K-1), count + (0 .. N-1), f + (0 .. N-1));
    assigns count[0 .. N-1], f[0 .. N-1];
    ensures which != SMOE_COUNT_ALL && which != SMOE_COUNT_FIRST ==> \result == SMOE_EINVAL; */
smoe_status smoe_compete_fractions(smoe_count which, size_t S, size_t N, size_t K, size_t A, const size_t *index,
                                   size_t *count, double *f);

/* (C.10) Balance of a competition:  loss = (1/B) sum_b N sum_i f_{b,i} P_{b,i},  P_b the mean of softmax(s) over b
 *
 *   s      [B,S,N]  responses       index  [B,S,K]  the winners, TopK(s)       A  as above, for a sequence of S tokens
 *   count  [N]      work            f, P   [B,N]    out                        q  [B,S,N]  out: softmax(s)
 *   loss   []       out
 *
 * B = 1 and S = T is the whole batch.  Errors: SMOE_EINVAL if B, S, N, K or A is 0 or K > N.
 * Source: CompeteSMoE v2, its code (first choices, per sequence); CompeteSMoE v1, its code (all choices, P over T K).
 */
/*@ requires smoe_size(B*S*N) && smoe_size(B*S*K) && smoe_size(B*N);
    requires smoe_size(B*S) && smoe_size(S*N) && smoe_size(S*K);
    requires \valid_read(s + (0 .. B*S*N-1)) && \valid_read(index + (0 .. B*S*K-1)) && \valid(count + (0 .. N-1));
    requires \valid(f + (0 .. B*N-1)) && \valid(q + (0 .. B*S*N-1)) && \valid(P + (0 .. B*N-1)) && \valid(loss);
    requires \separated(index + (0 .. B*S*K-1), count + (0 .. N-1), f + (0 .. B*N-1));
    requires \separated(s + (0 .. B*S*N-1), q + (0 .. B*S*N-1), P + (0 .. B*N-1), loss);
    requires \separated(f + (0 .. B*N-1), q + (0 .. B*S*N-1), P + (0 .. B*N-1), loss);
    assigns count[0 .. N-1], f[0 .. B*N-1], q[0 .. B*S*N-1], P[0 .. B*N-1], *loss;
    ensures B == 0 || S == 0 || K == 0 || K > N || A == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_compete_balance(smoe_count which, size_t B, size_t S, size_t N, size_t K, size_t A, const double *s,
                                 const size_t *index, size_t *count, double *f, double *q, double *P, double *loss);

/* ..., gradient:  ds_t = softmax vjp of ((dloss/B) N) f_b / S;  f is a count and gets none.   work [B N + N] */
/*@ requires smoe_size(B*S*N) && smoe_size(B*N + N) && smoe_size(B*S) && smoe_size(S*N);
    requires \valid_read(f + (0 .. B*N-1));
    requires \valid_read(q + (0 .. B*S*N-1)) && \valid(ds + (0 .. B*S*N-1)) && \valid(work + (0 .. B*N+N-1));
    requires \separated(f + (0 .. B*N-1), ds + (0 .. B*S*N-1), work + (0 .. B*N+N-1));
    requires \separated(q + (0 .. B*S*N-1), ds + (0 .. B*S*N-1), work + (0 .. B*N+N-1));
    assigns ds[0 .. B*S*N-1], work[0 .. B*N+N-1];
    ensures B == 0 || S == 0 || N == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_compete_balance_vjp(size_t B, size_t S, size_t N, const double *f, const double *q, double dloss,
                                     double *ds, double *work);

/* --- C.11: the router's logits mixed into the responses --- */

/* (C.11) Mix:  s_k = (1 - share) response_k + share r_k,   two rounded products, then their sum
 *   response, r, s [n]
 * Source: `combine_gate` of CompeteSMoE v1's code, share 1/2, norm. */
/*@ requires \valid_read(response + (0 .. n-1)) && \valid_read(r + (0 .. n-1)) && \valid(s + (0 .. n-1));
    requires \separated(response + (0 .. n-1), s + (0 .. n-1)) && \separated(r + (0 .. n-1), s + (0 .. n-1));
    assigns s[0 .. n-1];
    ensures \result == SMOE_OK || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_mix_scores(size_t n, double share, const double *response, const double *r, double *s);

/* ..., gradient:  dresponse = (1 - share) ds,   dr = share ds */
/*@ requires \valid_read(ds + (0 .. n-1)) && \valid(dresponse + (0 .. n-1)) && \valid(dr + (0 .. n-1));
    requires \separated(ds + (0 .. n-1), dresponse + (0 .. n-1), dr + (0 .. n-1));
    assigns dresponse[0 .. n-1], dr[0 .. n-1];
    ensures \result == SMOE_OK || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_mix_scores_vjp(size_t n, double share, const double *ds, double *dresponse, double *dr);

/* --- C.12, C.13: when to compete.  No gradients --- */

/* (C.12) Probability of a competition:  lambda_k = 2 / (2 + sqrt(t_k + 1)),   compete_k = 1 if u_k < lambda_k, else 0
 *
 *   t        [n]  steps (or epochs), at least 0;  any finite number         u  [n]  coins in [0, 1)
 *   lambda   [n]  out: in (0, 2/3]                                          compete  [n]  out
 *
 * Errors: SMOE_EDOM if a t is negative or not finite, or a coin outside [0, 1).
 * Source: CompeteSMoE v1, its code (per epoch; no script uses it); the paper's form is not known.
 */
/*@ requires \valid_read(t + (0 .. n-1)) && \valid_read(u + (0 .. n-1));
    requires \valid(lambda + (0 .. n-1)) && \valid(compete + (0 .. n-1));
    requires \separated(t + (0 .. n-1), lambda + (0 .. n-1), compete + (0 .. n-1));
    requires \separated(u + (0 .. n-1), lambda + (0 .. n-1), compete + (0 .. n-1));
    assigns lambda[0 .. n-1], compete[0 .. n-1];
    ensures \result == SMOE_OK || \result == SMOE_EDOM;
    ensures \result == SMOE_OK ==> \forall integer k; 0 <= k < n ==> compete[k] <= 1; */
smoe_status smoe_compete_lambda(size_t n, const double *t, const double *u, double *lambda, size_t *compete);

/* (C.13) Schedule of one layer, mended:  a head (coin below rate) takes its own slot, if fewer than cap layers compete
 * there and this layer does not already; else the nearest such slot before it; else the nearest after it; else it is
 * lost
 *
 *   u        [F]  the layer's coins, in [0, 1)
 *   load     [F]  in: layers that compete in each slot so far; out: with this one
 *   compete  [F]  out: 1 where the layer competes
 *   lost     []   out: heads that found no slot
 *
 * Errors: SMOE_EDOM if a coin is outside [0, 1), rate outside [0, 1], or a load above cap; nothing is written.
 * Source: CompeteSMoE v2, its code, with its collision mended; spec C.13.
 */
/*@ requires \valid_read(u + (0 .. F-1)) && \valid(load + (0 .. F-1)) && \valid(compete + (0 .. F-1)) && \valid(lost);
    requires \separated(u + (0 .. F-1), load + (0 .. F-1), compete + (0 .. F-1), lost);
    assigns load[0 .. F-1], compete[0 .. F-1], *lost;
    ensures \result == SMOE_OK || \result == SMOE_EDOM;
    ensures \result == SMOE_OK ==> *lost <= F;
    ensures \result == SMOE_OK ==> \forall integer i; 0 <= i < F ==> compete[i] <= 1 && load[i] <= cap;
    ensures \result == SMOE_OK ==> \forall integer i; 0 <= i < F ==> load[i] == \old(load[i]) + compete[i]; */
smoe_status smoe_schedule_layer_mended(size_t F, size_t cap, double rate, const double *u, size_t *load,
                                       size_t *compete, size_t *lost);

/* (C.13) ..., as published: a head takes its own slot whenever fewer than cap compete there, although an earlier head
 * of this layer may have moved into it: load then counts it twice and a competition is lost (counted in lost) */
/*@ requires \valid_read(u + (0 .. F-1)) && \valid(load + (0 .. F-1)) && \valid(compete + (0 .. F-1)) && \valid(lost);
    requires \separated(u + (0 .. F-1), load + (0 .. F-1), compete + (0 .. F-1), lost);
    assigns load[0 .. F-1], compete[0 .. F-1], *lost;
    ensures \result == SMOE_OK || \result == SMOE_EDOM;
    ensures \result == SMOE_OK ==> *lost <= F;
    ensures \result == SMOE_OK ==> \forall integer i; 0 <= i < F ==> compete[i] <= 1 && load[i] <= cap; */
smoe_status smoe_schedule_layer_published(size_t F, size_t cap, double rate, const double *u, size_t *load,
                                          size_t *compete, size_t *lost);

typedef enum { SMOE_COLLISION_MENDED, SMOE_COLLISION_PUBLISHED } smoe_collision;

/* (C.13) Schedule of L layers over S steps, the first W = floor(warm_up S) of them without competition
 *
 *   u        [L,S]  coins; those of the first W steps are not used
 *   compete  [L,S]  out: 0 in the first W columns
 *   load     [S]    out: what the algorithm counted; 0 in the first W columns
 *   lost     [L]    out
 *
 * Layers ascending.  Errors: SMOE_EINVAL for an unknown variant; SMOE_EDOM as above, for all S columns, or warm_up
 * outside [0, 1]; nothing is written.
 */
/*@ requires smoe_size(L*S) && \valid_read(u + (0 .. L*S-1)) && \valid(compete + (0 .. L*S-1));
    requires \valid(load + (0 .. S-1)) && \valid(lost + (0 .. L-1));
    requires \separated(u + (0 .. L*S-1), compete + (0 .. L*S-1), load + (0 .. S-1), lost + (0 .. L-1));
    assigns compete[0 .. L*S-1], load[0 .. S-1], lost[0 .. L-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM; */
smoe_status smoe_schedule(smoe_collision collision, size_t L, size_t S, size_t cap, double rate, double warm_up,
                          const double *u, size_t *compete, size_t *load, size_t *lost);

/* --- C.14: one training step --- */

/* (C.14) Task loss:  loss = (1/(T d)) sum_{t,e} (y_{t,e} - target_{t,e})^2,   n = T d;  a chain of fused multiply-adds
 *
 *   y, target [n]      loss []  out
 *
 * It stands for whatever task the model has; the target is given and gets no gradient.
 * Source: ours; the papers' task is a language model's cross entropy, which needs the rest of the model.
 */
/*@ requires \valid_read(y + (0 .. n-1)) && \valid_read(target + (0 .. n-1)) && \valid(loss);
    requires \separated(loss, y + (0 .. n-1)) && \separated(loss, target + (0 .. n-1));
    assigns *loss;
    ensures n == 0 ==> \result == SMOE_EINVAL;
    ensures n > 0 && !(smoe_finites(y, n) && smoe_finites(target, n)) ==> \result == SMOE_EDOM; */
smoe_status smoe_task_loss(size_t n, const double *y, const double *target, double *loss);

/* ..., gradient:  dy_k = (2 dloss/n) (y_k - target_k) */
/*@ requires \valid_read(y + (0 .. n-1)) && \valid_read(target + (0 .. n-1)) && \valid(dy + (0 .. n-1));
    requires \separated(dy + (0 .. n-1), y + (0 .. n-1)) && \separated(dy + (0 .. n-1), target + (0 .. n-1));
    assigns dy[0 .. n-1];
    ensures n == 0 ==> \result == SMOE_EINVAL;
    ensures n > 0 && !(smoe_finites(y, n) && smoe_finites(target, n)) ==> \result == SMOE_EDOM; */
smoe_status smoe_task_loss_vjp(size_t n, const double *y, const double *target, double dloss, double *dy);

/* (C.14) A training step with competition:  everything by smoe_compete_step, then
 *   loss = ((c_task task + c_distill distill) + c_diversity diversity) + c_balance balance
 *
 *   target [T,d]      task []  out
 *
 * Source: order of a step by the code of both versions; spec C.14.  Errors: those of smoe_compete_step, and of target.
 */
/*@ requires \valid_read(shape) && \valid_read(opt) && \valid_read(in) && \valid_read(out) && \valid_read(kept);
    requires \valid_read(target + (0 .. shape->T*shape->d-1)) && \valid(task);
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_train_compete(const smoe_layer_shape *shape, const smoe_compete_options *opt, const smoe_layer_in *in,
                               const double *target, const smoe_compete_out *out, double *task,
                               const smoe_compete_kept *kept);

/* ..., gradient:  dy = cot->y + that of the task under  dtask + c_task cot->loss;  then smoe_compete_step_vjp.
 *   work  as smoe_compete_step_vjp_work says, and T d more */
/*@ requires \valid_read(shape) && \valid_read(opt) && \valid_read(in) && \valid_read(out) && \valid_read(kept);
    requires \valid_read(cot) && \valid_read(grad) && \valid_read(target + (0 .. shape->T*shape->d-1));
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_train_compete_vjp(const smoe_layer_shape *shape, const smoe_compete_options *opt,
                                   const smoe_layer_in *in, const double *target, const smoe_compete_out *out,
                                   const smoe_compete_kept *kept, const smoe_compete_cot *cot, double dtask,
                                   const smoe_layer_grad *grad, double *work);

/* (C.14) A training step by the router:  everything by smoe_router_step, then
 *   loss = (c_task task + c_balance balance) + c_zloss zloss,   version 1: without the last term */
/*@ requires \valid_read(shape) && \valid_read(opt) && \valid_read(in) && \valid_read(out) && \valid_read(kept);
    requires \valid_read(target + (0 .. shape->T*shape->d-1)) && \valid(task);
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_train_router(const smoe_layer_shape *shape, const smoe_compete_options *opt, const smoe_layer_in *in,
                              const double *target, const smoe_compete_out *out, double *task,
                              const smoe_router_kept *kept);

/* ..., gradient.   work  as smoe_router_step_vjp_work says, and T d more */
/*@ requires \valid_read(shape) && \valid_read(opt) && \valid_read(in) && \valid_read(out) && \valid_read(kept);
    requires \valid_read(cot) && \valid_read(grad) && \valid_read(target + (0 .. shape->T*shape->d-1));
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_train_router_vjp(const smoe_layer_shape *shape, const smoe_compete_options *opt,
                                  const smoe_layer_in *in, const double *target, const smoe_compete_out *out,
                                  const smoe_router_kept *kept, const smoe_compete_cot *cot, double dtask,
                                  const smoe_layer_grad *grad, double *work);

/* --- C.15: inference is smoe_layer (L.3): the router decides alone, no expert is asked that it did not choose --- */

#endif
