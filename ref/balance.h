/* Balancing losses (spec/04-balance.md): how evenly the tokens are spread over the experts.
 *
 *   T tokens, N experts, K experts a token; B sequences of S tokens where a loss is taken sequence by sequence.
 *   z [T,N] scores (logits), p = softmax(z) row by row, index [T,K] the experts that a token was given.
 *
 * A count is not differentiable: in every gradient f is a constant and only P carries one.
 * vjps overwrite; outputs may not overlap inputs or each other.  SMOE_EINVAL means a size for which the equation makes
 * no sense (a mean over nothing), SMOE_EDOM a value that is not finite or out of range (nothing is written in either
 * case), SMOE_EOVRFLW that a finite input overflowed (the outputs are then unspecified).
 */
#ifndef SMOEREF_BALANCE_H
#define SMOEREF_BALANCE_H

#include <stddef.h>

#include "numerics.h"

/* load: how many of the first A assignments chose expert i.  column: which choice of its token assignment a is, counted
 * 0 .. K-1 over and over.  first_load: how many of the first A assignments are first choices and chose expert i. */
/*@ logic integer load{L}(size_t *choice, integer A, integer i) =
      A <= 0 ? 0 : load(choice, A-1, i) + (choice[A-1] == i ? 1 : 0);
    logic integer column(integer a, integer K) =
      a <= 0 ? 0 : (column(a-1, K) + 1 == K ? 0 : column(a-1, K) + 1);
    logic integer first_load{L}(size_t *index, integer A, integer K, integer i) =
      A <= 0 ? 0 : first_load(index, A-1, K, i) + (column(A-1, K) == 0 && index[A-1] == i ? 1 : 0); */

/* (B.1) Expert load:  c_i = #{ a : choice_a = i },  over A = T·K assignments
 *
 *   choice  [A]  the expert of each assignment, each below N
 *   count   [N]  out: assignments that expert i received; they sum to A
 *
 * Errors: SMOE_EDOM if a choice is not below N; nothing is written.
 * Source: Fedus et al. 2022, eq. (5), for K = 1; spec (B.1) for K > 1 and its variants.
 */
/*@ requires \valid_read(choice + (0 .. A-1));
    requires \valid(count + (0 .. N-1));
    requires \separated(choice + (0 .. A-1), count + (0 .. N-1));
    behavior bad:
      assumes \exists integer a; 0 <= a < A && choice[a] >= N;
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes \forall integer a; 0 <= a < A ==> choice[a] < N;
      assigns count[0 .. N-1];
      ensures \result == SMOE_OK;
      ensures \forall integer i; 0 <= i < N ==> count[i] == \old(load(choice, A, i));
      ensures \forall integer i; 0 <= i < N ==> count[i] <= A;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_expert_load(size_t A, size_t N, const size_t *choice, size_t *count);

/* (B.1) Expert load, variant `first`:  c_i = #{ t : index_{t,0} = i },  only the first choice of each token counts
 *
 *   index  [T,K]  the experts of each token, best first; the first of each row is below N;  A = T·K
 *   count  [N]    out: tokens whose first choice is expert i; they sum to T
 *
 * Errors: SMOE_EINVAL if K = 0; SMOE_EDOM if a first choice is not below N; nothing is written.
 * Source: Fedus et al. 2022 for K = 1, where it is (B.1); for K > 1 the public code of CompeteSMoE v2.
 */
/*@ requires \valid_read(index + (0 .. A-1));
    requires \valid(count + (0 .. N-1));
    requires \separated(index + (0 .. A-1), count + (0 .. N-1));
    behavior senseless:
      assumes K == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior bad:
      assumes K > 0 && \exists integer a; 0 <= a < A && column(a, K) == 0 && index[a] >= N;
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes K > 0 && \forall integer a; 0 <= a < A && column(a, K) == 0 ==> index[a] < N;
      assigns count[0 .. N-1];
      ensures \result == SMOE_OK;
      ensures \forall integer i; 0 <= i < N ==> count[i] == \old(first_load(index, A, K, i));
      ensures \forall integer i; 0 <= i < N ==> count[i] <= A;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_expert_load_first(size_t A, size_t K, size_t N, const size_t *index, size_t *count);

/* (B.2) Fraction:  f_i = c_i / A
 *
 *   count  [N]  assignments of each expert, each at most A
 *   f      [N]  out: fractions; they sum to 1 when the counts sum to A
 *
 * A is what was counted: T·K with smoe_expert_load, T with smoe_expert_load_first.
 * Errors: SMOE_EINVAL if A = 0; SMOE_EDOM if a count exceeds A.
 * Source: Fedus et al. 2022, eq. (5).
 */
/*@ requires \valid_read(count + (0 .. N-1));
    requires \valid(f + (0 .. N-1));
    requires \separated(count + (0 .. N-1), f + (0 .. N-1));
    behavior senseless:
      assumes A == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior bad:
      assumes A > 0 && \exists integer i; 0 <= i < N && count[i] > A;
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes A > 0 && \forall integer i; 0 <= i < N ==> count[i] <= A;
      assigns f[0 .. N-1];
      ensures \result == SMOE_OK;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_load_fraction(size_t A, size_t N, const size_t *count, double *f);

/* (B.3) Mean probability:  P_i = (1/T) sum_t p_{t,i}
 *
 *   p  [T,N]  probabilities of each token
 *   P  [N]    out: their mean over the tokens, tokens ascending, sum first, then divided
 *
 * Errors: SMOE_EINVAL if T = 0 or N = 0.
 * Source: Fedus et al. 2022, eq. (6).
 */
/*@ requires smoe_size(T*N) && \valid_read(p + (0 .. T*N-1)) && \valid(P + (0 .. N-1));
    requires \separated(p + (0 .. T*N-1), P + (0 .. N-1));
    assigns P[0 .. N-1];
    behavior sizes:
      assumes T == 0 || N == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes T > 0 && N > 0 && !smoe_finites(p, T*N);
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes T > 0 && N > 0 && smoe_finites(p, T*N);
      assigns P[0 .. N-1];
      ensures \result == SMOE_OK || \result == SMOE_EOVRFLW;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_mean_probability(size_t T, size_t N, const double *p, double *P);

/* (B.3), gradient:  dp_{t,i} = dP_i / T */
/*@ requires smoe_size(T*N) && \valid_read(dP + (0 .. N-1)) && \valid(dp + (0 .. T*N-1));
    requires \separated(dP + (0 .. N-1), dp + (0 .. T*N-1));
    behavior sizes:
      assumes T == 0 || N == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes T > 0 && N > 0 && !smoe_finites(dP, N);
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes T > 0 && N > 0 && smoe_finites(dP, N);
      assigns dp[0 .. T*N-1];
      ensures \result == SMOE_OK;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_mean_probability_vjp(size_t T, size_t N, const double *dP, double *dp);

/* (B.4) Switch loss:  loss = N sum_i f_i P_i
 *
 *   f     [N]  fractions, B.2
 *   P     [N]  mean probabilities, B.3
 *   loss  []   out: 1 if f or P is uniform, at most N/K, and it can be below 1 (7/8 in spec (B.4))
 *
 * Errors: SMOE_EINVAL if N = 0.
 * Source: Fedus et al. 2022, eq. (4), without its coefficient.
 */
/*@ requires \valid_read(f + (0 .. N-1)) && \valid_read(P + (0 .. N-1)) && \valid(loss);
    requires \separated(loss, f + (0 .. N-1)) && \separated(loss, P + (0 .. N-1));
    assigns *loss;
    behavior sizes:
      assumes N == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes N > 0 && !(smoe_finites(f, N) && smoe_finites(P, N));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes N > 0 && smoe_finites(f, N) && smoe_finites(P, N);
      assigns *loss;
      ensures \result == SMOE_OK || \result == SMOE_EOVRFLW;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_switch_loss(size_t N, const double *f, const double *P, double *loss);

/* (B.4), gradient:  dP_i = (dloss N) f_i; f is a count and gets none */
/*@ requires \valid_read(f + (0 .. N-1)) && \valid(dP + (0 .. N-1));
    requires \separated(f + (0 .. N-1), dP + (0 .. N-1));
    assigns dP[0 .. N-1];
    behavior sizes:
      assumes N == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes N > 0 && !(smoe_finites(f, N) && smoe_finite(dloss));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes N > 0 && smoe_finites(f, N) && smoe_finite(dloss);
      assigns dP[0 .. N-1];
      ensures \result == SMOE_OK || \result == SMOE_EOVRFLW;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_switch_loss_vjp(size_t N, const double *f, double dloss, double *dP);

/* (B.5) Per-sequence form:  loss = (1/B) sum_b N sum_i f_{b,i} P_{b,i},  B sequences of equal length
 *
 *   f     [B,N]  fractions of each sequence
 *   P     [B,N]  mean probabilities of each sequence
 *   loss  []     out: mean of the sequences' Switch losses; B = 1 is (B.4), bit for bit
 *
 * Errors: SMOE_EINVAL if B = 0 or N = 0.
 * Source: public code of CompeteSMoE v2; DeepSeek-V3's sequence-wise loss has the same shape.
 */
/*@ requires smoe_size(B*N) && \valid_read(f + (0 .. B*N-1)) && \valid_read(P + (0 .. B*N-1)) && \valid(loss);
    requires \separated(loss, f + (0 .. B*N-1)) && \separated(loss, P + (0 .. B*N-1));
    assigns *loss;
    behavior sizes:
      assumes B == 0 || N == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes B > 0 && N > 0 && !(smoe_finites(f, B*N) && smoe_finites(P, B*N));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes B > 0 && N > 0 && smoe_finites(f, B*N) && smoe_finites(P, B*N);
      assigns *loss;
      ensures \result == SMOE_OK || \result == SMOE_EOVRFLW;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_switch_loss_sequences(size_t B, size_t N, const double *f, const double *P, double *loss);

/* (B.5), gradient:  dP_{b,i} = ((dloss / B) N) f_{b,i} */
/*@ requires smoe_size(B*N) && \valid_read(f + (0 .. B*N-1)) && \valid(dP + (0 .. B*N-1));
    requires \separated(f + (0 .. B*N-1), dP + (0 .. B*N-1));
    assigns dP[0 .. B*N-1];
    ensures B == 0 || N == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_switch_loss_sequences_vjp(size_t B, size_t N, const double *f, double dloss, double *dP);

/* (B.3) to (B.5) on scores:  p = softmax(z) row by row, P_b its mean over sequence b, loss by (B.5)
 *
 *   z     [B,S,N]  scores; S = T and B = 1 is the loss of the whole batch (B.4)
 *   f     [B,N]    fractions of each sequence
 *   p     [B,S,N]  out: softmax(z), which the gradient needs
 *   P     [B,N]    out: mean probabilities
 *   loss  []       out
 *
 * Errors: SMOE_EINVAL if B, S or N is 0.
 */
/*@ requires smoe_size(B*S*N) && smoe_size(B*S) && smoe_size(B*N) && smoe_size(S*N);
    requires \valid_read(z + (0 .. B*S*N-1)) && \valid_read(f + (0 .. B*N-1));
    requires \valid(p + (0 .. B*S*N-1)) && \valid(P + (0 .. B*N-1)) && \valid(loss);
    requires \separated(z + (0 .. B*S*N-1), p + (0 .. B*S*N-1), P + (0 .. B*N-1), loss);
    requires \separated(f + (0 .. B*N-1), p + (0 .. B*S*N-1), P + (0 .. B*N-1), loss);
    assigns p[0 .. B*S*N-1], P[0 .. B*N-1], *loss;
    ensures B == 0 || S == 0 || N == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_balance_loss(size_t B, size_t S, size_t N, const double *z, const double *f, double *p, double *P,
                              double *loss);

/* ..., gradient:  total dP_{b,i} = dP_{b,i} + ((dloss/B) N) f_{b,i},  dp_{t,i} = that / S,  dz_t = softmax vjp of dp_t
 *
 *   p     [B,S,N]  the forward's output
 *   dP    [B,N]    cotangent that reaches P by another way (zeros if none)
 *   dp    [N]      workspace
 *   dz    [B,S,N]  out
 */
/*@ requires smoe_size(B*S*N) && smoe_size(B*S) && smoe_size(B*N) && smoe_size(S*N);
    requires \valid_read(f + (0 .. B*N-1)) && \valid_read(p + (0 .. B*S*N-1)) && \valid_read(dP + (0 .. B*N-1));
    requires \valid(dp + (0 .. N-1)) && \valid(dz + (0 .. B*S*N-1));
    requires \separated(f + (0 .. B*N-1), dp + (0 .. N-1), dz + (0 .. B*S*N-1));
    requires \separated(p + (0 .. B*S*N-1), dp + (0 .. N-1), dz + (0 .. B*S*N-1));
    requires \separated(dP + (0 .. B*N-1), dp + (0 .. N-1), dz + (0 .. B*S*N-1));
    assigns dp[0 .. N-1], dz[0 .. B*S*N-1];
    ensures B == 0 || S == 0 || N == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_balance_loss_vjp(size_t B, size_t S, size_t N, const double *f, const double *p, double dloss,
                                  const double *dP, double *dp, double *dz);

/* (B.6) z-loss:  loss = (1/T) sum_t (log sum_i exp r_{t,i})^2
 *
 *   r     [T,N]  logits, not probabilities
 *   lse   [T]    out: logsumexp of each row, which the gradient needs
 *   loss  []     out
 *
 * Errors: SMOE_EINVAL if T = 0 or N = 0.
 * Source: Zoph et al. 2022 (ST-MoE), eq. (5), without its coefficient.
 */
/*@ requires smoe_size(T*N) && \valid_read(r + (0 .. T*N-1)) && \valid(lse + (0 .. T-1)) && \valid(loss);
    requires \separated(r + (0 .. T*N-1), lse + (0 .. T-1), loss);
    behavior sizes:
      assumes T == 0 || N == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes T > 0 && N > 0 && !smoe_finites(r, T*N);
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes T > 0 && N > 0 && smoe_finites(r, T*N);
      assigns lse[0 .. T-1], *loss;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_z_loss(size_t T, size_t N, const double *r, double *lse, double *loss);

/* (B.6), gradient:  dr_{t,i} = (2 lse_t / T) dloss softmax(r_t)_i
 *
 *   lse  [T]    the forward's output
 *   dr   [T,N]  out
 */
/*@ requires smoe_size(T*N) && \valid_read(r + (0 .. T*N-1)) && \valid_read(lse + (0 .. T-1));
    requires \valid(dr + (0 .. T*N-1));
    requires \separated(r + (0 .. T*N-1), dr + (0 .. T*N-1)) && \separated(lse + (0 .. T-1), dr + (0 .. T*N-1));
    assigns dr[0 .. T*N-1];
    ensures T == 0 || N == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_z_loss_vjp(size_t T, size_t N, const double *r, const double *lse, double dloss, double *dr);

/* (B.7) Padding: which tokens are real, and how many
 *
 *   mask  [T]  1 for a token, 0 for padding
 *   ones  []   out: how many real tokens there are
 *
 * Errors: SMOE_EDOM if an element of mask is neither 0 nor 1.
 */
/*@ predicate smoe_flag(double x) = x == 0 || x == 1; */
/*@ requires \valid_read(mask + (0 .. T-1)) && \valid(ones);
    requires \separated(mask + (0 .. T-1), ones);
    assigns *ones;
    ensures \result == SMOE_OK ==> *ones <= T && \forall integer t; 0 <= t < T ==> smoe_flag(mask[t]);
    ensures \result == SMOE_OK || \result == SMOE_EDOM; */
smoe_status smoe_real_tokens(size_t T, const double *mask, size_t *ones);

/* (B.7) Expert load of the real tokens:  c_i = #{ (t,j) : mask_t = 1, j < J, index_{t,j} = i }
 *
 *   J      how many of the K choices count: K for all of them, 1 for the first
 *   index  [T,K]  the experts of each token, best first; those that count are below N (padding's may be anything)
 *   mask   [T]
 *   count  [N]    out
 *
 * Without padding it is (B.1).
 * Errors: SMOE_EINVAL if J > K; SMOE_EDOM if mask is not of zeros and ones or a choice that counts is not below N.
 */
/*@ requires smoe_size(T*K) && \valid_read(index + (0 .. T*K-1)) && \valid_read(mask + (0 .. T-1));
    requires \valid(count + (0 .. N-1));
    requires \separated(index + (0 .. T*K-1), count + (0 .. N-1));
    requires \separated(mask + (0 .. T-1), count + (0 .. N-1));
    assigns count[0 .. N-1];
    ensures J > K ==> \result == SMOE_EINVAL; */
smoe_status smoe_expert_load_masked(size_t T, size_t K, size_t J, size_t N, const size_t *index, const double *mask,
                                    size_t *count);

/* (B.7) Mean probability of the real tokens:  P_i = (1/T') sum_{t : mask_t = 1} p_{t,i},  T' real tokens
 *
 *   p     [T,N]
 *   mask  [T]
 *   P     [N]    out; for a mask of ones it is (B.3), bit for bit
 *
 * Errors: SMOE_EINVAL if T = 0 or N = 0; SMOE_EDOM also if no token is real, or mask is not of zeros and ones.
 */
/*@ requires smoe_size(T*N) && \valid_read(p + (0 .. T*N-1)) && \valid(P + (0 .. N-1));
    requires \valid_read(mask + (0 .. T-1));
    requires \separated(p + (0 .. T*N-1), P + (0 .. N-1)) && \separated(mask + (0 .. T-1), P + (0 .. N-1));
    assigns P[0 .. N-1];
    ensures T == 0 || N == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_mean_probability_masked(size_t T, size_t N, const double *p, const double *mask, double *P);

/* (B.8) Load after capacity:  c_i = min(c_i, capacity)
 *
 *   count  [N]  in and out: choices of each expert; what is beyond its capacity does not count
 */
/*@ requires \valid(count + (0 .. N-1));
    assigns count[0 .. N-1];
    ensures \forall integer i; 0 <= i < N ==> count[i] == \min(\old(count[i]), capacity); */
void smoe_load_kept(size_t N, size_t capacity, size_t *count);

/* (B.4), (B.5) and (B.7) on scores:  sum = sum_b N sum_i f_{b,i} P_{b,i}  over the groups b that have a real token
 *
 *   z       [B,S,N]  scores of B groups (sequences, or layers) of S tokens, padding included
 *   mask    [B,S]    1 for a token, 0 for padding
 *   f       [B,N]    fractions of each group; those of a group without a real token do not matter
 *   p       [B,S,N]  out: softmax(z), which the gradient needs
 *   P       [B,N]    out: mean probabilities of the real tokens; 0 for a group without any
 *   groups  []       out: groups that have a real token; the mean form is sum / groups
 *   sum     []       out
 *
 * For a mask of ones, sum / groups is smoe_balance_loss, bit for bit.
 * Errors: SMOE_EINVAL if B, S or N is 0; SMOE_EDOM also if mask is not of zeros and ones, or has no one.
 */
/*@ requires smoe_size(B*S*N) && smoe_size(B*S) && smoe_size(B*N) && smoe_size(S*N);
    requires \valid_read(z + (0 .. B*S*N-1)) && \valid_read(f + (0 .. B*N-1)) && \valid_read(mask + (0 .. B*S-1));
    requires \valid(p + (0 .. B*S*N-1)) && \valid(P + (0 .. B*N-1)) && \valid(sum) && \valid(groups);
    requires \separated(z + (0 .. B*S*N-1), p + (0 .. B*S*N-1), P + (0 .. B*N-1), sum, groups);
    requires \separated(f + (0 .. B*N-1), p + (0 .. B*S*N-1), P + (0 .. B*N-1), sum, groups);
    requires \separated(mask + (0 .. B*S-1), p + (0 .. B*S*N-1), P + (0 .. B*N-1), sum, groups);
    assigns p[0 .. B*S*N-1], P[0 .. B*N-1], *groups, *sum;
    ensures B == 0 || S == 0 || N == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_balance_groups(size_t B, size_t S, size_t N, const double *z, const double *mask, const double *f,
                                double *p, double *P, size_t *groups, double *sum);

/* ..., gradient:  dP_{b,i} = (dsum N) f_{b,i},  dp_{t,i} = dP_{b,i} / S'_b and dz_t = softmax vjp of dp_t for a real
 * token, dz_t = 0 for padding.  S'_b real tokens of group b.
 *
 *   p     [B,S,N]  the forward's output
 *   dsum  []       the cotangent of the sum; dloss / groups for the mean
 *   dp    [N]      workspace
 *   dz    [B,S,N]  out
 */
/*@ requires smoe_size(B*S*N) && smoe_size(B*S) && smoe_size(B*N) && smoe_size(S*N);
    requires \valid_read(f + (0 .. B*N-1)) && \valid_read(p + (0 .. B*S*N-1)) && \valid_read(mask + (0 .. B*S-1));
    requires \valid(dp + (0 .. N-1)) && \valid(dz + (0 .. B*S*N-1));
    requires \separated(f + (0 .. B*N-1), dp + (0 .. N-1), dz + (0 .. B*S*N-1));
    requires \separated(p + (0 .. B*S*N-1), dp + (0 .. N-1), dz + (0 .. B*S*N-1));
    requires \separated(mask + (0 .. B*S-1), dp + (0 .. N-1), dz + (0 .. B*S*N-1));
    assigns dp[0 .. N-1], dz[0 .. B*S*N-1];
    ensures B == 0 || S == 0 || N == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_balance_groups_vjp(size_t B, size_t S, size_t N, const double *f, const double *p, const double *mask,
                                    double dsum, double *dp, double *dz);

/* --- losses beyond Switch: what they share ---------------------------------------------------------------------- */

/* (B.3) on scores:  p = softmax(z) row by row,  P_i = (1/T) sum_t p_{t,i}
 *
 *   z  [T,N]
 *   p  [T,N]  out: what the gradient needs
 *   P  [N]    out
 *
 * Errors: SMOE_EINVAL if T = 0 or N = 0.
 */
/*@ requires smoe_size(T*N) && \valid_read(z + (0 .. T*N-1)) && \valid(p + (0 .. T*N-1)) && \valid(P + (0 .. N-1));
    requires \separated(z + (0 .. T*N-1), p + (0 .. T*N-1), P + (0 .. N-1));
    assigns p[0 .. T*N-1], P[0 .. N-1];
    ensures T == 0 || N == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_mean_softmax(size_t T, size_t N, const double *z, double *p, double *P);

/* ..., gradient:  dp_{t,i} = dP_i / T,  dz_t = softmax vjp of dp_t
 *
 *   dp  [N]    workspace, the same for every token
 *   dz  [T,N]  out
 */
/*@ requires smoe_size(T*N) && \valid_read(p + (0 .. T*N-1)) && \valid_read(dP + (0 .. N-1));
    requires \valid(dp + (0 .. N-1)) && \valid(dz + (0 .. T*N-1));
    requires \separated(p + (0 .. T*N-1), dp + (0 .. N-1), dz + (0 .. T*N-1));
    requires \separated(dP + (0 .. N-1), dp + (0 .. N-1), dz + (0 .. T*N-1));
    assigns dp[0 .. N-1], dz[0 .. T*N-1];
    ensures T == 0 || N == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_mean_softmax_vjp(size_t T, size_t N, const double *p, const double *dP, double *dp, double *dz);

/* (B.9) Squared coefficient of variation:  loss = Var(v) / (m^2 + epsilon),  m = (1/N) sum_i v_i,
 * Var(v) = (1/N) sum_i (v_i - m)^2 of the population; smoe_cv_squared_unbiased divides by N - 1.
 *
 *   v        [N]
 *   epsilon  not negative
 *   loss     []   out: 0 if all v are alike; at most N - 1 (N, unbiased) for v that are not negative
 *
 * Errors: SMOE_EINVAL if N = 0 (unbiased: N < 2); SMOE_EDOM also if epsilon is negative or m^2 + epsilon is 0;
 * SMOE_EOVRFLW if m^2 + epsilon overflows.
 * Source: Shazeer et al. 2017, eq. (7), with the population's variance; fastmoe's is unbiased.
 */
/*@ requires \valid_read(v + (0 .. N-1)) && \valid(loss) && \separated(loss, v + (0 .. N-1));
    assigns *loss;
    ensures N == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_cv_squared(size_t N, const double *v, double epsilon, double *loss);
/*@ requires \valid_read(v + (0 .. N-1)) && \valid(loss) && \separated(loss, v + (0 .. N-1));
    assigns *loss;
    ensures N < 2 ==> \result == SMOE_EINVAL; */
smoe_status smoe_cv_squared_unbiased(size_t N, const double *v, double epsilon, double *loss);

/* (B.9), gradient:  dv_i = a (v_i - m) - b,  D = m^2 + epsilon,  a = 2 dloss / (n D),  b = 2 dloss (Var/D) m / (N D),
 * n = N (unbiased: N - 1)
 */
/*@ requires \valid_read(v + (0 .. N-1)) && \valid(dv + (0 .. N-1)) && \separated(v + (0 .. N-1), dv + (0 .. N-1));
    assigns dv[0 .. N-1];
    ensures N == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_cv_squared_vjp(size_t N, const double *v, double epsilon, double dloss, double *dv);
/*@ requires \valid_read(v + (0 .. N-1)) && \valid(dv + (0 .. N-1)) && \separated(v + (0 .. N-1), dv + (0 .. N-1));
    assigns dv[0 .. N-1];
    ensures N < 2 ==> \result == SMOE_EINVAL; */
smoe_status smoe_cv_squared_unbiased_vjp(size_t N, const double *v, double epsilon, double dloss, double *dv);

/* (B.9) Importance:  v_i = sum_t g_{t,i},  tokens ascending
 *
 *   g  [T,N]  weights of all experts, 0 where a token does not use one
 *   v  [N]    out
 *
 * Errors: SMOE_EINVAL if T = 0 or N = 0.
 * Source: Shazeer et al. 2017, eq. (6).
 */
/*@ requires smoe_size(T*N) && \valid_read(g + (0 .. T*N-1)) && \valid(v + (0 .. N-1));
    requires \separated(g + (0 .. T*N-1), v + (0 .. N-1));
    assigns v[0 .. N-1];
    ensures T == 0 || N == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_importance(size_t T, size_t N, const double *g, double *v);

/* (B.9) Importance, gradient:  dg_{t,i} = dv_i */
/*@ requires smoe_size(T*N) && \valid_read(dv + (0 .. N-1)) && \valid(dg + (0 .. T*N-1));
    requires \separated(dv + (0 .. N-1), dg + (0 .. T*N-1));
    assigns dg[0 .. T*N-1];
    ensures T == 0 || N == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_importance_vjp(size_t T, size_t N, const double *dv, double *dg);

/* (B.10) Probability of being selected, one token:  P_i = Phi((clean_i - thr_i) / std_i)
 *
 *   order  [K+1]  the K+1 experts of largest noisy, best first; K < N
 *   clean  [N]    scores without noise
 *   noisy  [N]    scores with it, which the selection is made on
 *   std    [N]    standard deviations, above 0
 *   P      [N]    out: that expert i is among the K if its noise is drawn again and all others keep theirs
 *
 * thr_i is what i has to beat: the (K+1)-th largest of noisy if i is among the K largest, else the K-th largest.
 * Errors: SMOE_EINVAL if K = 0 or K >= N; SMOE_EDOM if std_i <= 0 or a member of order is not below N; SMOE_EOVRFLW.
 * Source: Shazeer et al. 2017, eqs. (8) to (10).
 */
/*@ requires K < N ==> \valid_read(order + (0 .. K));
    requires \valid_read(clean + (0 .. N-1)) && \valid_read(noisy + (0 .. N-1)) && \valid_read(std + (0 .. N-1));
    requires \valid(P + (0 .. N-1)) && \separated(order + (0 .. K), P + (0 .. N-1));
    requires \separated(clean + (0 .. N-1), P + (0 .. N-1)) && \separated(noisy + (0 .. N-1), P + (0 .. N-1));
    requires \separated(std + (0 .. N-1), P + (0 .. N-1));
    assigns P[0 .. N-1];
    ensures K == 0 || K >= N ==> \result == SMOE_EINVAL; */
smoe_status smoe_load_token(size_t N, size_t K, const size_t *order, const double *clean, const double *noisy,
                            const double *std, double *P);

/* (B.10), gradient of one token:  a_i = (clean_i - thr_i) / std_i,  q_i = dP_i phi(a_i) / std_i,  dclean_i = q_i,
 * dstd_i = -q_i a_i,  dnoisy of the (K+1)-th largest = -sum of q_i over the K largest,  dnoisy of the K-th largest =
 * -sum of q_i over the others, both i ascending,  dnoisy = 0 elsewhere.
 */
/*@ requires K < N ==> \valid_read(order + (0 .. K));
    requires \valid_read(clean + (0 .. N-1)) && \valid_read(noisy + (0 .. N-1)) && \valid_read(std + (0 .. N-1));
    requires \valid_read(dP + (0 .. N-1));
    requires \valid(dclean + (0 .. N-1)) && \valid(dnoisy + (0 .. N-1)) && \valid(dstd + (0 .. N-1));
    requires \separated(dclean + (0 .. N-1), dnoisy + (0 .. N-1), dstd + (0 .. N-1));
    requires \separated(order + (0 .. K), dclean + (0 .. N-1), dnoisy + (0 .. N-1), dstd + (0 .. N-1));
    requires \separated(clean + (0 .. N-1), dclean + (0 .. N-1), dnoisy + (0 .. N-1), dstd + (0 .. N-1));
    requires \separated(noisy + (0 .. N-1), dclean + (0 .. N-1), dnoisy + (0 .. N-1), dstd + (0 .. N-1));
    requires \separated(std + (0 .. N-1), dclean + (0 .. N-1), dnoisy + (0 .. N-1), dstd + (0 .. N-1));
    requires \separated(dP + (0 .. N-1), dclean + (0 .. N-1), dnoisy + (0 .. N-1), dstd + (0 .. N-1));
    assigns dclean[0 .. N-1], dnoisy[0 .. N-1], dstd[0 .. N-1];
    ensures K == 0 || K >= N ==> \result == SMOE_EINVAL; */
smoe_status smoe_load_token_vjp(size_t N, size_t K, const size_t *order, const double *clean, const double *noisy,
                                const double *std, const double *dP, double *dclean, double *dnoisy, double *dstd);

/* (B.10) Load:  load_i = sum_t P_{t,i},  tokens ascending; T for every expert if K = N
 *
 *   clean, noisy, std  [T,N]
 *   order  [K+1]  workspace
 *   value  [K+1]  workspace
 *   P      [N]    workspace
 *   load   [N]    out: a differentiable estimate of how many tokens select expert i
 *
 * Errors: SMOE_EINVAL if T = 0, N = 0, K = 0 or K > N; SMOE_EDOM also if a std is not above 0.
 */
/*@ requires smoe_size(T*N) && \valid_read(clean + (0 .. T*N-1)) && \valid_read(noisy + (0 .. T*N-1));
    requires \valid_read(std + (0 .. T*N-1)) && \valid(order + (0 .. K)) && \valid(value + (0 .. K));
    requires \valid(P + (0 .. N-1)) && \valid(load + (0 .. N-1));
    requires \separated(clean + (0 .. T*N-1), order + (0 .. K), value + (0 .. K), P + (0 .. N-1), load + (0 .. N-1));
    requires \separated(noisy + (0 .. T*N-1), order + (0 .. K), value + (0 .. K), P + (0 .. N-1), load + (0 .. N-1));
    requires \separated(std + (0 .. T*N-1), order + (0 .. K), value + (0 .. K), P + (0 .. N-1), load + (0 .. N-1));
    assigns order[0 .. K], value[0 .. K], P[0 .. N-1], load[0 .. N-1];
    ensures T == 0 || N == 0 || K == 0 || K > N ==> \result == SMOE_EINVAL; */
smoe_status smoe_noisy_load(size_t T, size_t N, size_t K, const double *clean, const double *noisy, const double *std,
                            size_t *order, double *value, double *P, double *load);

/* (B.10), gradient:  that of each token with dP = dload; all 0 if K = N.  smoe_noisy_load_detached_vjp takes the
 * threshold for a constant:  dnoisy = 0.
 *
 *   dload                 [N]
 *   dclean, dnoisy, dstd  [T,N]  out
 */
/*@ requires smoe_size(T*N) && \valid_read(clean + (0 .. T*N-1)) && \valid_read(noisy + (0 .. T*N-1));
    requires \valid_read(std + (0 .. T*N-1)) && \valid(order + (0 .. K)) && \valid(value + (0 .. K));
    requires \valid_read(dload + (0 .. N-1));
    requires \valid(dclean + (0 .. T*N-1)) && \valid(dnoisy + (0 .. T*N-1)) && \valid(dstd + (0 .. T*N-1));
    requires \separated(clean + (0 .. T*N-1), order + (0 .. K), value + (0 .. K), dclean + (0 .. T*N-1),
               dnoisy + (0 .. T*N-1), dstd + (0 .. T*N-1));
    requires \separated(noisy + (0 .. T*N-1), order + (0 .. K), value + (0 .. K), dclean + (0 .. T*N-1),
               dnoisy + (0 .. T*N-1), dstd + (0 .. T*N-1));
    requires \separated(std + (0 .. T*N-1), order + (0 .. K), value + (0 .. K), dclean + (0 .. T*N-1),
               dnoisy + (0 .. T*N-1), dstd + (0 .. T*N-1));
    requires \separated(dload + (0 .. N-1), order + (0 .. K), value + (0 .. K), dclean + (0 .. T*N-1),
               dnoisy + (0 .. T*N-1), dstd + (0 .. T*N-1));
    assigns order[0 .. K], value[0 .. K], dclean[0 .. T*N-1], dnoisy[0 .. T*N-1], dstd[0 .. T*N-1];
    ensures T == 0 || N == 0 || K == 0 || K > N ==> \result == SMOE_EINVAL; */
smoe_status smoe_noisy_load_vjp(size_t T, size_t N, size_t K, const double *clean, const double *noisy,
                                const double *std, const double *dload, size_t *order, double *value, double *dclean,
                                double *dnoisy, double *dstd);
/*@ requires smoe_size(T*N) && \valid_read(clean + (0 .. T*N-1)) && \valid_read(noisy + (0 .. T*N-1));
    requires \valid_read(std + (0 .. T*N-1)) && \valid(order + (0 .. K)) && \valid(value + (0 .. K));
    requires \valid_read(dload + (0 .. N-1));
    requires \valid(dclean + (0 .. T*N-1)) && \valid(dnoisy + (0 .. T*N-1)) && \valid(dstd + (0 .. T*N-1));
    requires \separated(clean + (0 .. T*N-1), order + (0 .. K), value + (0 .. K), dclean + (0 .. T*N-1),
               dnoisy + (0 .. T*N-1), dstd + (0 .. T*N-1));
    requires \separated(noisy + (0 .. T*N-1), order + (0 .. K), value + (0 .. K), dclean + (0 .. T*N-1),
               dnoisy + (0 .. T*N-1), dstd + (0 .. T*N-1));
    requires \separated(std + (0 .. T*N-1), order + (0 .. K), value + (0 .. K), dclean + (0 .. T*N-1),
               dnoisy + (0 .. T*N-1), dstd + (0 .. T*N-1));
    requires \separated(dload + (0 .. N-1), order + (0 .. K), value + (0 .. K), dclean + (0 .. T*N-1),
               dnoisy + (0 .. T*N-1), dstd + (0 .. T*N-1));
    assigns order[0 .. K], value[0 .. K], dclean[0 .. T*N-1], dnoisy[0 .. T*N-1], dstd[0 .. T*N-1];
    ensures T == 0 || N == 0 || K == 0 || K > N ==> \result == SMOE_EINVAL; */
smoe_status smoe_noisy_load_detached_vjp(size_t T, size_t N, size_t K, const double *clean, const double *noisy,
                                         const double *std, const double *dload, size_t *order, double *value,
                                         double *dclean, double *dnoisy, double *dstd);

/* (B.11) GShard's loss:  loss = (1/N) sum_i f_i m_i
 *
 *   f     [N]  share of the tokens whose first choice is expert i (B.1, B.2), or of those kept (B.8)
 *   m     [N]  mean probabilities (B.3)
 *   loss  []   out: 1/N^2 if f or m is uniform; N^2 times it, the scaled form, is smoe_switch_loss
 *
 * Errors: SMOE_EINVAL if N = 0.
 * Source: Lepikhin et al. 2021 (GShard), algorithm 1.
 */
/*@ requires \valid_read(f + (0 .. N-1)) && \valid_read(m + (0 .. N-1)) && \valid(loss);
    requires \separated(loss, f + (0 .. N-1)) && \separated(loss, m + (0 .. N-1));
    assigns *loss;
    ensures N == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_gshard_loss(size_t N, const double *f, const double *m, double *loss);

/* (B.11), gradient:  dm_i = (dloss / N) f_i; f is a count and gets none */
/*@ requires \valid_read(f + (0 .. N-1)) && \valid(dm + (0 .. N-1));
    requires \separated(f + (0 .. N-1), dm + (0 .. N-1));
    assigns dm[0 .. N-1];
    ensures N == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_gshard_loss_vjp(size_t N, const double *f, double dloss, double *dm);

/* (B.12) Scores at a temperature:  z_i = s_i / tau.  XMoE's loss is (B.4) on them, with t in the place of f.
 *
 *   s    [n]
 *   tau  above 0
 *   z    [n]  out
 *
 * Errors: SMOE_EDOM also if tau <= 0; SMOE_EOVRFLW.
 * Source: Chi et al. 2022 (XMoE), eq. (10).
 */
/*@ requires \valid_read(s + (0 .. n-1)) && \valid(z + (0 .. n-1)) && \separated(s + (0 .. n-1), z + (0 .. n-1));
    assigns z[0 .. n-1];
    ensures !smoe_finites(s, n) || tau <= 0 ==> \result == SMOE_EDOM; */
smoe_status smoe_temperature(size_t n, const double *s, double tau, double *z);

/* (B.12), gradient:  ds_i = dz_i / tau; the same division, so this is smoe_temperature of dz */
/*@ requires \valid_read(dz + (0 .. n-1)) && \valid(ds + (0 .. n-1)) && \separated(dz + (0 .. n-1), ds + (0 .. n-1));
    assigns ds[0 .. n-1];
    ensures !smoe_finites(dz, n) || tau <= 0 ==> \result == SMOE_EDOM; */
smoe_status smoe_temperature_vjp(size_t n, double tau, const double *dz, double *ds);

/* (B.13) Excess of an expert:  e_i = (c_i - T/N) / (T/N)
 *
 *   count  [N]  tokens of each expert, each at most T
 *   e      [N]  out: -1 for an expert without tokens, 0 at balance, N - 1 for one that has them all
 *
 * Errors: SMOE_EINVAL if T = 0 or N = 0; SMOE_EDOM if a count exceeds T.
 */
/*@ requires \valid_read(count + (0 .. N-1)) && \valid(e + (0 .. N-1));
    requires \separated(count + (0 .. N-1), e + (0 .. N-1));
    assigns e[0 .. N-1];
    ensures T == 0 || N == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_excess(size_t T, size_t N, const size_t *count, double *e);

/* (B.13) StableMoE's loss:  loss = alpha sum_i e_i g_i,  g_i = sum_{t : choice_t = i} sigmoid(s_{t,i}),  t ascending
 *
 *   s       [T,N]  scores
 *   choice  [T]    the expert of each token, below N
 *   e       [N]    excess
 *   g       [N]    out: the gates' sums
 *   loss    []     out
 *
 * Errors: SMOE_EINVAL if T = 0 or N = 0; SMOE_EDOM also if a choice is not below N; SMOE_EOVRFLW.
 * Source: Dai et al. 2022 (StableMoE), and its public code.
 */
/*@ requires smoe_size(T*N) && \valid_read(s + (0 .. T*N-1)) && \valid_read(choice + (0 .. T-1));
    requires \valid_read(e + (0 .. N-1)) && \valid(g + (0 .. N-1)) && \valid(loss);
    requires \separated(s + (0 .. T*N-1), g + (0 .. N-1), loss);
    requires \separated(choice + (0 .. T-1), g + (0 .. N-1), loss);
    requires \separated(e + (0 .. N-1), g + (0 .. N-1), loss);
    assigns g[0 .. N-1], *loss;
    ensures T == 0 || N == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_stable_loss(size_t T, size_t N, const double *s, const size_t *choice, const double *e, double alpha,
                             double *g, double *loss);

/* (B.13), gradient:  ds_{t,i} = ((dloss alpha) e_i) sigmoid'(s_{t,i}) for i = choice_t, 0 elsewhere; e is constant */
/*@ requires smoe_size(T*N) && \valid_read(s + (0 .. T*N-1)) && \valid_read(choice + (0 .. T-1));
    requires \valid_read(e + (0 .. N-1)) && \valid(ds + (0 .. T*N-1));
    requires \separated(s + (0 .. T*N-1), ds + (0 .. T*N-1)) && \separated(choice + (0 .. T-1), ds + (0 .. T*N-1));
    requires \separated(e + (0 .. N-1), ds + (0 .. T*N-1));
    assigns ds[0 .. T*N-1];
    ensures T == 0 || N == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_stable_loss_vjp(size_t T, size_t N, const double *s, const size_t *choice, const double *e,
                                 double alpha, double dloss, double *ds);

/* (B.14) Negative entropy:  loss = sum_i P_i ln P_i,  0 ln 0 = 0
 *
 *   P     [N]  mean probabilities (B.3), not negative
 *   loss  []   out: -ln N if P is uniform, 0 if one expert has it all
 *
 * Errors: SMOE_EINVAL if N = 0; SMOE_EDOM also if an element is negative; SMOE_EOVRFLW.
 * Source: Csordas et al. 2023, 2024 (sigma-MoE, MoEUT), read in public code.
 */
/*@ requires \valid_read(P + (0 .. N-1)) && \valid(loss) && \separated(loss, P + (0 .. N-1));
    assigns *loss;
    ensures N == 0 ==> \result == SMOE_EINVAL;
    ensures N > 0 && !smoe_finites(P, N) ==> \result == SMOE_EDOM; */
smoe_status smoe_negative_entropy(size_t N, const double *P, double *loss);

/* (B.14), gradient:  dP_i = dloss (ln P_i + 1), and 0 where P_i = 0: only P_i (ln P_i + 1) -> 0 reaches the scores */
/*@ requires \valid_read(P + (0 .. N-1)) && \valid(dP + (0 .. N-1)) && \separated(P + (0 .. N-1), dP + (0 .. N-1));
    assigns dP[0 .. N-1];
    ensures N == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_negative_entropy_vjp(size_t N, const double *P, double dloss, double *dP);

/* (B.15) Share of an affinity, one token:  p_i = s_i / sum_j s_j.  DeepSeek's loss is alpha times (B.5) with P of them.
 *
 *   s  [N]  affinities, above 0
 *   p  [N]  out: they sum to 1 within rounding
 *
 * Errors: SMOE_EINVAL if N = 0; SMOE_EDOM also if an affinity is not above 0; SMOE_EOVRFLW if their sum overflows.
 * Source: DeepSeek-AI 2024 (DeepSeek-V3), eqs. (17) to (20).
 */
/*@ requires \valid_read(s + (0 .. N-1)) && \valid(p + (0 .. N-1)) && \separated(s + (0 .. N-1), p + (0 .. N-1));
    assigns p[0 .. N-1];
    ensures N == 0 ==> \result == SMOE_EINVAL;
    ensures N > 0 && !smoe_finites(s, N) ==> \result == SMOE_EDOM; */
smoe_status smoe_affinity_share(size_t N, const double *s, double *p);

/* (B.15), gradient of one token:  ds_i = (dp_i - <p, dp>) / sum_j s_j
 *
 *   p   [N]  the forward's output
 *   ds  [N]  out
 */
/*@ requires \valid_read(s + (0 .. N-1)) && \valid_read(p + (0 .. N-1)) && \valid_read(dp + (0 .. N-1));
    requires \valid(ds + (0 .. N-1)) && \separated(s + (0 .. N-1), ds + (0 .. N-1));
    requires \separated(p + (0 .. N-1), ds + (0 .. N-1)) && \separated(dp + (0 .. N-1), ds + (0 .. N-1));
    assigns ds[0 .. N-1];
    ensures N == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_affinity_share_vjp(size_t N, const double *s, const double *p, const double *dp, double *ds);

/* (B.16) Bias of the selection, one step:  updated_i = bias_i + gamma sign(mean(load) - load_i),  sign(0) = 0
 *
 *   load     [N]  tokens of each expert in this step
 *   bias     [N]
 *   gamma    the step's size
 *   updated  [N]  out
 *
 * Errors: SMOE_EINVAL if N = 0; SMOE_EOVRFLW.
 * Source: Wang et al. 2024 (auxiliary-loss-free load balancing), algorithm 1; DeepSeek-V3.
 */
/*@ requires \valid_read(load + (0 .. N-1)) && \valid_read(bias + (0 .. N-1)) && \valid(updated + (0 .. N-1));
    requires \separated(load + (0 .. N-1), updated + (0 .. N-1));
    requires \separated(bias + (0 .. N-1), updated + (0 .. N-1));
    assigns updated[0 .. N-1];
    ensures N == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_bias_update(size_t N, const double *load, const double *bias, double gamma, double *updated);

/* (B.17) Accumulated load, one micro-batch:  total_i = total_i + c_i
 *
 *   count  [N]  assignments of each expert in this micro-batch (B.1)
 *   total  [N]  in and out: those of all micro-batches so far
 *
 * The global loss of micro-batch m is (B.4) with f of the totals: of the last micro-batch's (all of the batch), or of
 * those up to m.
 * Errors: SMOE_EOVRFLW if a total exceeds what a size_t holds; nothing is written.
 * Source: Qiu et al. 2025, load balancing over the global batch.
 */
/*@ requires \valid_read(count + (0 .. N-1)) && \valid(total + (0 .. N-1));
    requires \separated(count + (0 .. N-1), total + (0 .. N-1));
    assigns total[0 .. N-1];
    ensures \result == SMOE_OK ==> \forall integer i; 0 <= i < N ==> total[i] == \old(total[i]) + count[i]; */
smoe_status smoe_accumulate_load(size_t N, const size_t *count, size_t *total);

#endif
