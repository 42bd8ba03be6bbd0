/* SimSMoE (spec/07-simsmoe.md): pairs of experts that share tokens are made dissimilar.
 *
 *   T tokens, N experts, K of them a token, d width, h hidden width of an expert, g hidden width and p output width of
 *   the projection head.  A pair is i < j; a matrix of pairs is [N,N], and only its elements above the diagonal are
 *   read or mean anything: the others are written as 0.
 *
 * Tokens' experts, counters, selections and the threshold's test are constants in all gradients.  vjps overwrite, the
 * ones called _acc start at what is there; outputs may not overlap inputs or each other.  SMOE_EINVAL means a size that
 * makes no sense or an unknown variant; SMOE_EDOM a value that is not finite or out of range, such as an expert not
 * below N or named twice by one token (nothing is written in either case, except to what is called kept, row or work);
 * SMOE_EOVRFLW that a finite input overflowed (the outputs are then unspecified).
 */
#ifndef SMOEREF_SIMSMOE_H
#define SMOEREF_SIMSMOE_H

#include <stdbool.h>
#include <stddef.h>

#include "layer.h"
#include "numerics.h"
#include "similarity.h"

/* --- S.1: the projection head ---
 *
 *   o   [n,d]  outputs of an expert on n tokens; n = 0 is allowed
 *   wh  [g,d]  bh [g]   wp [p,g] (linear: [p,d])   bp [p]
 *   a   [n,g]  out: before the ReLU, kept for the vjp      u [n,g]  out: after it, kept for the vjp
 *   z   [n,p]  out
 *   da  [n,g]  out: the gradient of a, work
 */

/* (S.1) Head with one hidden layer:  a = Wh o + bh,  u = max(a, 0),  z = Wp u + bp,  for each of n rows
 * Source: SimSMoE (arXiv 2406.15883) as notes on it have it. */
/*@ requires smoe_size(n*d) && smoe_size(n*g) && smoe_size(n*p) && smoe_size(g*d) && smoe_size(p*g);
    requires \valid_read(o + (0 .. n*d-1)) && \valid_read(wh + (0 .. g*d-1)) && \valid_read(bh + (0 .. g-1));
    requires \valid_read(wp + (0 .. p*g-1)) && \valid_read(bp + (0 .. p-1));
    requires \valid(a + (0 .. n*g-1)) && \valid(u + (0 .. n*g-1)) && \valid(z + (0 .. n*p-1));
    requires \separated(a + (0 .. n*g-1), u + (0 .. n*g-1), z + (0 .. n*p-1), o + (0 .. n*d-1), wh + (0 .. g*d-1));
    requires \separated(a + (0 .. n*g-1), u + (0 .. n*g-1), z + (0 .. n*p-1), bh + (0 .. g-1), wp + (0 .. p*g-1));
    requires \separated(a + (0 .. n*g-1), u + (0 .. n*g-1), z + (0 .. n*p-1), bp + (0 .. p-1));
    assigns a[0 .. n*g-1], u[0 .. n*g-1], z[0 .. n*p-1];
    ensures d == 0 || g == 0 || p == 0 ==> \result == SMOE_EINVAL;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_head_mlp(size_t n, size_t d, size_t g, size_t p, const double *o, const double *wh, const double *bh,
                          const double *wp, const double *bp, double *a, double *u, double *z);

/* ..., gradient, a and u as the forward left them:
 *   dbp = sum_t dz_t,  dWp = sum_t dz_t u_t',  da = 1[a > 0] (Wp' dz),  dbh = sum_t da_t,  dWh = sum_t da_t o_t',
 *   do = Wh' da
 */
/*@ predicate smoe_head_grad{L}(integer n, integer d, integer g, integer p, double *o, double *wh, double *wp,
                                double *a, double *u, double *dz, double *do_, double *dwh, double *dbh,
                                double *dwp, double *dbp, double *da) =
      smoe_size(n*d) && smoe_size(n*g) && smoe_size(n*p) && smoe_size(g*d) && smoe_size(p*g) &&
      \valid_read(o + (0 .. n*d-1)) && \valid_read(wh + (0 .. g*d-1)) && \valid_read(wp + (0 .. p*g-1)) &&
      \valid_read(a + (0 .. n*g-1)) && \valid_read(u + (0 .. n*g-1)) && \valid_read(dz + (0 .. n*p-1)) &&
      \valid(do_ + (0 .. n*d-1)) && \valid(dwh + (0 .. g*d-1)) && \valid(dbh + (0 .. g-1)) &&
      \valid(dwp + (0 .. p*g-1)) && \valid(dbp + (0 .. p-1)) && \valid(da + (0 .. n*g-1)) &&
      \separated(do_ + (0 .. n*d-1), dwh + (0 .. g*d-1), dbh + (0 .. g-1), dwp + (0 .. p*g-1), dbp + (0 .. p-1),
                 da + (0 .. n*g-1)) &&
      \separated(wh + (0 .. g*d-1), do_ + (0 .. n*d-1)) && \separated(o + (0 .. n*d-1), dwh + (0 .. g*d-1)) &&
      \separated(u + (0 .. n*g-1), dwp + (0 .. p*g-1)) && \separated(dz + (0 .. n*p-1), dwp + (0 .. p*g-1)) &&
      \separated(dz + (0 .. n*p-1), da + (0 .. n*g-1)) && \separated(wp + (0 .. p*g-1), da + (0 .. n*g-1)) &&
      \separated(a + (0 .. n*g-1), da + (0 .. n*g-1)); */
/*@ requires smoe_head_grad(n, d, g, p, o, wh, wp, a, u, dz, do_, dwh, dbh, dwp, dbp, da);
    assigns do_[0 .. n*d-1], dwh[0 .. g*d-1], dbh[0 .. g-1], dwp[0 .. p*g-1], dbp[0 .. p-1], da[0 .. n*g-1];
    ensures d == 0 || g == 0 || p == 0 ==> \result == SMOE_EINVAL;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_head_mlp_vjp(size_t n, size_t d, size_t g, size_t p, const double *o, const double *wh,
                              const double *wp, const double *a, const double *u, const double *dz, double *do_,
                              double *dwh, double *dbh, double *dwp, double *dbp, double *da);

/* The same with dwh, dbh, dwp, dbp started at what is there. */
/*@ requires smoe_head_grad(n, d, g, p, o, wh, wp, a, u, dz, do_, dwh, dbh, dwp, dbp, da);
    assigns do_[0 .. n*d-1], dwh[0 .. g*d-1], dbh[0 .. g-1], dwp[0 .. p*g-1], dbp[0 .. p-1], da[0 .. n*g-1];
    ensures d == 0 || g == 0 || p == 0 ==> \result == SMOE_EINVAL;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_head_mlp_vjp_acc(size_t n, size_t d, size_t g, size_t p, const double *o, const double *wh,
                                  const double *wp, const double *a, const double *u, const double *dz, double *do_,
                                  double *dwh, double *dbh, double *dwp, double *dbp, double *da);

/* (S.1a) Linear head:  z = Wp o + bp
 * Source: SimSMoE's code. */
/*@ requires smoe_size(n*d) && smoe_size(n*p) && smoe_size(p*d) && \valid_read(o + (0 .. n*d-1));
    requires \valid_read(wp + (0 .. p*d-1)) && \valid_read(bp + (0 .. p-1)) && \valid(z + (0 .. n*p-1));
    requires \separated(z + (0 .. n*p-1), o + (0 .. n*d-1)) && \separated(z + (0 .. n*p-1), wp + (0 .. p*d-1));
    requires \separated(z + (0 .. n*p-1), bp + (0 .. p-1));
    assigns z[0 .. n*p-1];
    ensures d == 0 || p == 0 ==> \result == SMOE_EINVAL;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_head_linear(size_t n, size_t d, size_t p, const double *o, const double *wp, const double *bp,
                             double *z);

/* ..., gradient:  dbp = sum_t dz_t,  dWp = sum_t dz_t o_t',  do = Wp' dz */
/*@ requires smoe_size(n*d) && smoe_size(n*p) && smoe_size(p*d);
    requires \valid_read(o + (0 .. n*d-1)) && \valid_read(wp + (0 .. p*d-1)) && \valid_read(dz + (0 .. n*p-1));
    requires \valid(do_ + (0 .. n*d-1)) && \valid(dwp + (0 .. p*d-1)) && \valid(dbp + (0 .. p-1));
    requires \separated(do_ + (0 .. n*d-1), dwp + (0 .. p*d-1), dbp + (0 .. p-1), dz + (0 .. n*p-1));
    requires \separated(o + (0 .. n*d-1), dwp + (0 .. p*d-1)) && \separated(wp + (0 .. p*d-1), do_ + (0 .. n*d-1));
    assigns do_[0 .. n*d-1], dwp[0 .. p*d-1], dbp[0 .. p-1];
    ensures d == 0 || p == 0 ==> \result == SMOE_EINVAL;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_head_linear_vjp(size_t n, size_t d, size_t p, const double *o, const double *wp, const double *dz,
                                 double *do_, double *dwp, double *dbp);

/* The same with dwp and dbp started at what is there. */
/*@ requires smoe_size(n*d) && smoe_size(n*p) && smoe_size(p*d);
    requires \valid_read(o + (0 .. n*d-1)) && \valid_read(wp + (0 .. p*d-1)) && \valid_read(dz + (0 .. n*p-1));
    requires \valid(do_ + (0 .. n*d-1)) && \valid(dwp + (0 .. p*d-1)) && \valid(dbp + (0 .. p-1));
    requires \separated(do_ + (0 .. n*d-1), dwp + (0 .. p*d-1), dbp + (0 .. p-1), dz + (0 .. n*p-1));
    requires \separated(o + (0 .. n*d-1), dwp + (0 .. p*d-1)) && \separated(wp + (0 .. p*d-1), do_ + (0 .. n*d-1));
    assigns do_[0 .. n*d-1], dwp[0 .. p*d-1], dbp[0 .. p-1];
    ensures d == 0 || p == 0 ==> \result == SMOE_EINVAL;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_head_linear_vjp_acc(size_t n, size_t d, size_t p, const double *o, const double *wp, const double *dz,
                                     double *do_, double *dwp, double *dbp);

/* --- S.2: tokens that two experts share --- */

/* Token t has experts i and j both: they are among index[t K .. t K + K - 1].  shared: how many of the first T tokens
 * do; the last axiom is what `reads` says.  Row by row, smoe_shared_tokens is proved to write this number. */
/*@ predicate smoe_both{L}(size_t *index, integer K, integer t, integer i, integer j) =
      smoe_taken(index + t*K, K, i) && smoe_taken(index + t*K, K, j);
    axiomatic SharedTokens {
      logic integer smoe_shared{L}(size_t *index, integer K, integer i, integer j, integer T)
        reads index[0 .. T*K-1];
      axiom shared_none{L}: \forall size_t *index, integer K, i, j, T; T <= 0 ==>
        smoe_shared(index, K, i, j, T) == 0;
      axiom shared_more{L}: \forall size_t *index, integer K, i, j, T; T >= 0 && smoe_both(index, K, T, i, j) ==>
        smoe_shared(index, K, i, j, T + 1) == smoe_shared(index, K, i, j, T) + 1;
      axiom shared_same{L}: \forall size_t *index, integer K, i, j, T; T >= 0 && !smoe_both(index, K, T, i, j) ==>
        smoe_shared(index, K, i, j, T + 1) == smoe_shared(index, K, i, j, T);
      axiom shared_reads{L1,L2}: \forall size_t *index, integer K, i, j, T;
        (\forall integer a; 0 <= a < T*K ==> \at(index[a], L1) == \at(index[a], L2)) ==>
        smoe_shared{L1}(index, K, i, j, T) == smoe_shared{L2}(index, K, i, j, T);
    } */

/* (S.2) Does a token share experts i and j?  row [K]: the token's experts. */
/*@ requires \valid_read(row + (0 .. K-1));
    assigns \nothing;
    ensures \result <==> (smoe_taken(row, K, i) && smoe_taken(row, K, j)); */
bool smoe_shares(size_t K, const size_t *row, size_t i, size_t j);

/* (S.2) (S.4) The tokens that experts i and j share, ascending; their number is returned
 *
 *   index [T,K]  the experts of each token      row [T]  out: the first \result of it
 */
/*@ requires smoe_size(T*K) && \valid_read(index + (0 .. T*K-1)) && \valid(row + (0 .. T-1));
    requires \separated(index + (0 .. T*K-1), row + (0 .. T-1));
    assigns row[0 .. T-1];
    ensures \result <= T;
    ensures \forall integer k; 0 <= k < \result ==> row[k] < T;
    ensures \forall integer k, l; 0 <= k < l < \result ==> row[k] < row[l]; */
size_t smoe_pair_rows(size_t T, size_t K, const size_t *index, size_t i, size_t j, size_t *row);

/* (S.2) Shared tokens:  shared_ij = #{ t : i in I_t and j in I_t },  i < j
 *
 *   index   [T,K]  the experts of each token, distinct, each below N; T = 0 is allowed
 *   shared  [N,N]  out
 *
 * Errors: SMOE_EINVAL if K = 0 or K > N; SMOE_EDOM if an expert is not below N or a token names one twice.
 * Source: SimSMoE's code for K = 2; any K is ours.
 */
/*@ requires smoe_size(T*K) && smoe_size(N*N) && \valid_read(index + (0 .. T*K-1)) && \valid(shared + (0 .. N*N-1));
    requires \separated(index + (0 .. T*K-1), shared + (0 .. N*N-1));
    assigns shared[0 .. N*N-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM;
    ensures (K == 0 || K > N) <==> \result == SMOE_EINVAL; */
smoe_status smoe_shared_tokens(size_t T, size_t N, size_t K, const size_t *index, size_t *shared);

/* --- S.3: counters, and the pairs that are compared in this step --- */

typedef enum { SMOE_UNIT_TOKENS, SMOE_UNIT_FRACTION } smoe_pair_unit;   /* what a shared token adds: 1, or 1/T */
typedef enum { SMOE_ABOVE, SMOE_AT_LEAST } smoe_compare;                /* > or >= */
typedef enum { SMOE_ABSENT_KEEP, SMOE_ABSENT_RESET } smoe_absent;       /* a pair that is due without a token here */

/* (S.3) Counters:  c_ij = counter_ij + shared_ij (tokens) or + shared_ij / T (fraction);
 * a pair is due if c > frequency (above) or c >= frequency (atleast);  it is selected if it is due and, with
 * SMOE_ABSENT_KEEP, shares a token in this batch;  next_ij = 0 for a selected pair, else c_ij
 *
 *   shared    [N,N]  what smoe_shared_tokens gave for the T tokens of this batch
 *   counter   [N,N]  the state before this batch: zeros, or `next` of the batch before, or what was saved of it
 *   next      [N,N]  out: the state after it.  It is all the state there is
 *   selected  [N,N]  out: 1 for the pairs to compare, else 0
 *
 * Errors: SMOE_EINVAL if T = 0, N = 0 or a variant is unknown; SMOE_EDOM if a counter or frequency is negative or not
 * finite.  Source: SimSMoE's code (fraction, above, reset); notes on the paper (tokens, atleast); spec S.3.
 */
/*@ requires smoe_size(N*N) && \valid_read(shared + (0 .. N*N-1)) && \valid_read(counter + (0 .. N*N-1));
    requires \valid(next + (0 .. N*N-1)) && \valid(selected + (0 .. N*N-1));
    requires \separated(shared + (0 .. N*N-1), next + (0 .. N*N-1), selected + (0 .. N*N-1));
    requires \separated(counter + (0 .. N*N-1), next + (0 .. N*N-1), selected + (0 .. N*N-1));
    assigns next[0 .. N*N-1], selected[0 .. N*N-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM;
    ensures T == 0 || N == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_pair_counters(smoe_pair_unit unit, smoe_compare compare, smoe_absent absent, double frequency,
                               size_t T, size_t N, const size_t *shared, const double *counter, double *next,
                               size_t *selected);

/* --- S.4: what the experts of a pair make of the tokens they share --- */

typedef enum { SMOE_HEAD_MLP, SMOE_HEAD_LINEAR } smoe_head;             /* (S.1), (S.1a) */

typedef struct {
    smoe_layer_shape layer;     /* order is read by smoe_router alone */
    smoe_head head;
    size_t g, p;                /* widths of the head; a linear head does not read g */
} smoe_simsmoe_shape;

typedef struct {
    const double *x;            /* [T,d] */
    const double *w1, *b1;      /* [N,h,d] [N,h] */
    const double *w2, *b2;      /* [N,d,h] [N,d] */
    const double *wh, *bh;      /* [g,d] [g]; not read by a linear head */
    const double *wp, *bp;      /* [p,g] (linear: [p,d]) [p] */
} smoe_simsmoe_in;

typedef struct {
    double *x;                          /* shapes as in smoe_simsmoe_in; wh and bh are not written by a linear head */
    double *w1, *b1, *w2, *b2;
    double *wh, *bh, *wp, *bp;
    double *r, *weight;                 /* [T,N] [T,K]; of smoe_simsmoe_layer and _step alone */
} smoe_simsmoe_grad;

/* One expert of a pair on the n rows that it shares. */
typedef struct {
    double *a, *u;              /* [n,h] inside the expert */
    double *o;                  /* [n,d] its outputs */
    double *ha, *hu;            /* [n,g] inside the head; not used by a linear one */
    double *z;                  /* [n,p] the representation */
} smoe_representation;

/* (S.4) Representation of expert i:  z = head(E_i(X)),  X [n,d];  no dropout, the layer's own activation
 * Errors: SMOE_EINVAL for sizes, i not below N, or an unknown activation or head. */
/*@ requires \valid_read(shape) && \valid_read(in) && \valid_read(out);
    requires \let d = shape->layer.d; \let h = shape->layer.h; \let N = shape->layer.N;
             smoe_size(N*h*d) && smoe_size(N*h) && smoe_size(N*d) && smoe_size(n*d) && smoe_size(n*h) &&
             smoe_size(h*d) && \valid_read(X + (0 .. n*d-1)) &&
             \valid_read(in->w1 + (0 .. N*h*d-1)) && \valid_read(in->b1 + (0 .. N*h-1)) &&
             \valid_read(in->w2 + (0 .. N*d*h-1)) && \valid_read(in->b2 + (0 .. N*d-1)) &&
             \valid(out->a + (0 .. n*h-1)) && \valid(out->u + (0 .. n*h-1)) && \valid(out->o + (0 .. n*d-1)) &&
             \separated(out->a + (0 .. n*h-1), out->u + (0 .. n*h-1), out->o + (0 .. n*d-1)) &&
             \separated(out->a + (0 .. n*h-1), X + (0 .. n*d-1)) &&
             \separated(out->a + (0 .. n*h-1), in->w1 + (0 .. N*h*d-1)) &&
             \separated(out->o + (0 .. n*d-1), in->w2 + (0 .. N*d*h-1));
    requires \let d = shape->layer.d; \let g = shape->g; \let p = shape->p;
             shape->head == SMOE_HEAD_MLP ==>
               smoe_product(n, g, d, out->o, in->wh, out->ha) && smoe_product(n, p, g, out->hu, in->wp, out->z) &&
               \valid_read(in->bh + (0 .. g-1)) && \valid_read(in->bp + (0 .. p-1)) && \valid(out->hu + (0 .. n*g-1)) &&
               \separated(out->ha + (0 .. n*g-1), out->hu + (0 .. n*g-1), out->z + (0 .. n*p-1), out->o + (0 .. n*d-1),
                          in->wh + (0 .. g*d-1)) &&
               \separated(out->ha + (0 .. n*g-1), out->hu + (0 .. n*g-1), out->z + (0 .. n*p-1), in->bh + (0 .. g-1),
                          in->wp + (0 .. p*g-1)) &&
               \separated(out->ha + (0 .. n*g-1), out->hu + (0 .. n*g-1), out->z + (0 .. n*p-1), in->bp + (0 .. p-1));
    requires \let d = shape->layer.d; \let p = shape->p;
             shape->head != SMOE_HEAD_MLP ==>
               smoe_product(n, p, d, out->o, in->wp, out->z) && \valid_read(in->bp + (0 .. p-1)) &&
               \separated(out->z + (0 .. n*p-1), in->bp + (0 .. p-1));
    assigns out->a[0 .. n*shape->layer.h-1], out->u[0 .. n*shape->layer.h-1], out->o[0 .. n*shape->layer.d-1],
            out->ha[0 .. n*shape->g-1], out->hu[0 .. n*shape->g-1], out->z[0 .. n*shape->p-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_represent(const smoe_simsmoe_shape *shape, const smoe_simsmoe_in *in, size_t i, size_t n,
                           const double *X, const smoe_representation *out);

/* ..., gradient for the cotangent dz [n,p]:  that of expert i's parameters and of the head's is added to what is there
 * (one chain goes on), that of X goes to dX [n,d].   work [n (d + h + g)] */
/*@ requires \valid_read(shape) && \valid_read(in) && \valid_read(kept) && \valid_read(grad);
    requires \valid_read(X + (0 .. n*shape->layer.d-1)) && \valid_read(dz + (0 .. n*shape->p-1));
    requires \valid(dX + (0 .. n*shape->layer.d-1));
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_represent_vjp_acc(const smoe_simsmoe_shape *shape, const smoe_simsmoe_in *in, size_t i, size_t n,
                                   const double *X, const smoe_representation *kept, const double *dz,
                                   const smoe_simsmoe_grad *grad, double *dX, double *work);

/* --- S.5: the similarity loss --- */

typedef enum { SMOE_PAIRS_SUM, SMOE_PAIRS_MEAN } smoe_pair_reduce;      /* over the selected pairs */
typedef enum { SMOE_X_DETACHED, SMOE_X_ATTACHED } smoe_x_gradient;      /* does (S.5) reach x? */

/* What is not named in an initialiser is 0, which is the default but for numbers. */
typedef struct {
    smoe_similarity similarity;         /* kernel, bandwidth, estimator, route of the CKA; divide has no effect on it */
    double threshold;                   /* T*: pairs with less similarity are left alone */
    smoe_compare compare;               /* of a CKA with T* */
    smoe_pair_reduce reduce;
    smoe_x_gradient through_x;
    smoe_pair_unit unit;                /* of the counters, (S.3); this one and those below are not read by (S.5) */
    smoe_compare due;                   /* of a counter with the frequency */
    smoe_absent absent;
    double frequency;                   /* f */
    double c_task, c_balance, c_similarity; /* c_task is read by (S.7) alone */
} smoe_simsmoe_options;

/* (S.5) Similarity loss:  loss = sum over selected pairs i < j of  CKA(z_i, z_j) 1[CKA(z_i, z_j) > T*],  pairs in
 * ascending order, i then j;  mean: divided by the number of selected pairs, 0 if there are none
 *
 *   index     [T,K]  the experts of each token (of any gate), distinct, each below N
 *   selected  [N,N]  1 for the pairs to compare, else 0 (S.3)
 *   cka       [N,N]  out: 0 for a pair that is not compared
 *   active    [N,N]  out: 1 for the pairs whose CKA is in the loss, else 0
 *   loss      []     out
 *   row       [T]    work
 *   work      smoe_similarity_loss_work doubles, which is enough for a pair that shares every token: T^2 is in it.
 *             Only what the largest pair needs is touched
 *
 * A selected pair is not compared, and adds nothing, if it shares fewer than 2 rows (biased estimator) or 4 (the
 * others), or if its CKA is undefined because a representation or the bandwidth has no variance.
 * Errors: SMOE_EINVAL if K = 0, K > N, or a width is 0; SMOE_EDOM if selected is neither 0 nor 1.  T = 0 gives 0.
 * Source: SimSMoE's code; spec S.5.
 */
/*@ requires \valid_read(shape) && \valid_read(opt) && \valid_read(in);
    requires \let T = shape->layer.T; \let d = shape->layer.d; \let h = shape->layer.h; \let N = shape->layer.N;
             \let K = shape->layer.K; \let g = shape->head == SMOE_HEAD_MLP ? shape->g : d;
             \valid_read(in->x + (0 .. T*d-1)) && \valid_read(in->w1 + (0 .. N*h*d-1)) &&
             \valid_read(in->b1 + (0 .. N*h-1)) && \valid_read(in->w2 + (0 .. N*d*h-1)) &&
             \valid_read(in->b2 + (0 .. N*d-1)) && \valid_read(in->wp + (0 .. shape->p*g-1)) &&
             \valid_read(in->bp + (0 .. shape->p-1)) && \valid_read(index + (0 .. T*K-1)) &&
             \valid_read(selected + (0 .. N*N-1)) && \valid(cka + (0 .. N*N-1)) && \valid(active + (0 .. N*N-1)) &&
             \valid(loss) && \valid(row + (0 .. T-1));
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_similarity_loss(const smoe_simsmoe_shape *shape, const smoe_simsmoe_options *opt,
                                 const smoe_simsmoe_in *in, const size_t *index, const size_t *selected, double *cka,
                                 size_t *active, double *loss, size_t *row, double *work);

/* Doubles that smoe_similarity_loss and its vjp need as `work`. */
/*@ requires \valid_read(shape) && \valid_read(opt);
    assigns \nothing; */
size_t smoe_similarity_loss_work(const smoe_simsmoe_shape *shape, const smoe_simsmoe_options *opt);

/* ..., gradient:  dcka_ij = dloss (mean: over the number of selected pairs) for active pairs;  through K.9 to z_i and
 * z_j, then through (S.4) of i and of j, pairs ascending; each parameter's sum is one chain over them, started at 0.
 * dx = 0, or with SMOE_X_ATTACHED the rows' gradients, added in the same order.  The router gets nothing.
 *
 *   active  as the forward left it; everything else is computed again       grad  r and weight are not written
 */
/*@ requires \valid_read(shape) && \valid_read(opt) && \valid_read(in) && \valid_read(grad);
    requires \let T = shape->layer.T; \let N = shape->layer.N; \let K = shape->layer.K;
             \valid_read(index + (0 .. T*K-1)) && \valid_read(selected + (0 .. N*N-1)) &&
             \valid_read(active + (0 .. N*N-1)) && \valid(row + (0 .. T-1));
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_similarity_loss_vjp(const smoe_simsmoe_shape *shape, const smoe_simsmoe_options *opt,
                                     const smoe_simsmoe_in *in, const size_t *index, const size_t *selected,
                                     const size_t *active, double dloss, const smoe_simsmoe_grad *grad, size_t *row,
                                     double *work);

/* --- S.6: the layer, on top of any gate --- */

/* What a gate gave, whichever it is. */
typedef struct {
    const double *r;            /* [T,N] the scores whose softmax is balanced */
    const size_t *index;        /* [T,K] the experts of each token, distinct */
    const double *weight;       /* [T,K] */
} smoe_gated;

typedef struct {
    double *y;                                  /* [T,d] */
    double *loss, *balance, *similarity;        /* [] the total, and its terms without coefficients */
    size_t *shared, *selected, *active;         /* [N,N] (S.2) (S.3) (S.5) */
    double *next, *cka;                         /* [N,N] (S.3) (S.5) */
} smoe_simsmoe_out;

/* What the forward keeps for the vjp. */
typedef struct {
    smoe_layer_kept layer;      /* p: softmax(r) */
    double *f, *P;              /* [N] */
    size_t *count;              /* [N] */
    size_t *row;                /* [T] work, of both */
} smoe_simsmoe_kept;

/* Cotangents: dy [T,d], and one number for the total and for each term. */
typedef struct {
    const double *y;
    double loss, balance, similarity;
} smoe_simsmoe_cot;

/* (S.6) The layer:  y = sum_j weight_j E_{I_j}(x) (L.3);  balance = (B.4) on r, f counted from all choices over T K;
 * shared, next, selected by (S.2) (S.3) out of counter [N,N];  similarity = (S.5) of the selected pairs;
 *   loss = c_balance balance + c_similarity similarity
 *
 *   work  smoe_similarity_loss_work doubles
 *
 * Errors: SMOE_EINVAL if T = 0.  Source: SimSMoE's code; spec S.6.
 */
/*@ requires \valid_read(shape) && \valid_read(opt) && \valid_read(in) && \valid_read(gate) && \valid_read(out);
    requires \valid_read(kept) && \valid_read(counter + (0 .. shape->layer.N*shape->layer.N-1));
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_simsmoe_layer(const smoe_simsmoe_shape *shape, const smoe_simsmoe_options *opt,
                               const smoe_simsmoe_in *in, const smoe_gated *gate, const double *counter,
                               const smoe_simsmoe_out *out, const smoe_simsmoe_kept *kept, double *work);

/* Doubles that smoe_simsmoe_layer_vjp needs as `work`:  T K (2 d + h) + 2 N + those of smoe_similarity_loss. */
/*@ requires \valid_read(shape) && \valid_read(opt);
    assigns \nothing; */
size_t smoe_simsmoe_layer_vjp_work(const smoe_simsmoe_shape *shape, const smoe_simsmoe_options *opt);

/* ..., gradient.  Each term has the total cotangent  g_term = cot->term + c_term cot->loss.
 *   weight: <dy, o>;   r: (B.4);   experts: those of y, and from there the chain of (S.5) goes on;   head: (S.5);
 *   x: through the experts of y, and with SMOE_X_ATTACHED + (S.5).  What the gate passes on to x is the gate's vjp's
 */
/*@ requires \valid_read(shape) && \valid_read(opt) && \valid_read(in) && \valid_read(gate) && \valid_read(out);
    requires \valid_read(kept) && \valid_read(cot) && \valid_read(grad);
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_simsmoe_layer_vjp(const smoe_simsmoe_shape *shape, const smoe_simsmoe_options *opt,
                                   const smoe_simsmoe_in *in, const smoe_gated *gate, const smoe_simsmoe_out *out,
                                   const smoe_simsmoe_kept *kept, const smoe_simsmoe_cot *cot,
                                   const smoe_simsmoe_grad *grad, double *work);

/* (S.6) The gate of the layer where no other is given: (G.1), then (G.2) | (G.3) | (G.4)
 *
 *   x [T,d]  wr [N,d]  br [N]      r [T,N]  index, weight [T,K]  margin [T] on r   out      p [T,N]  out: kept
 */
/*@ requires \valid_read(shape);
    requires \let T = shape->T; \let d = shape->d; \let N = shape->N; \let K = shape->K;
             smoe_product(T, N, d, x, wr, r) && smoe_size(T*K) && \valid_read(br + (0 .. N-1)) &&
             \valid(index + (0 .. T*K-1)) && \valid(weight + (0 .. T*K-1)) && \valid(margin + (0 .. T-1)) &&
             \valid(p + (0 .. T*N-1)) &&
             \separated(r + (0 .. T*N-1), index + (0 .. T*K-1), weight + (0 .. T*K-1), margin + (0 .. T-1),
                        p + (0 .. T*N-1)) &&
             \separated(shape, r + (0 .. T*N-1), index + (0 .. T*K-1));
    assigns r[0 .. shape->T*shape->N-1], index[0 .. shape->T*shape->K-1], weight[0 .. shape->T*shape->K-1],
            margin[0 .. shape->T-1], p[0 .. shape->T*shape->N-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_router(const smoe_layer_shape *shape, const double *x, const double *wr, const double *br, double *r,
                        size_t *index, double *weight, double *margin, double *p);

/* ..., gradient for the cotangents dr [T,N] and dweight [T,K]:  total dr = that of the weights + dr;
 * dx = dx_experts + the router's share
 *
 *   dx_experts [T,d]  what smoe_simsmoe_layer_vjp gave;  dx may be the same array
 *   dx [T,d]  dwr [N,d]  dbr [N]  out      work [T N + T d + N]
 */
/*@ requires \valid_read(shape);
    requires \let T = shape->T; \let d = shape->d; \let N = shape->N; \let K = shape->K;
             \let room = work + (0 .. T*N+T*d+N-1);
             smoe_size(T*N + T*d + N) && smoe_size(N*d) && smoe_size(T*K) &&
             \valid_read(x + (0 .. T*d-1)) && \valid_read(wr + (0 .. N*d-1)) && \valid_read(index + (0 .. T*K-1)) &&
             \valid_read(weight + (0 .. T*K-1)) && \valid_read(p + (0 .. T*N-1)) && \valid_read(dr + (0 .. T*N-1)) &&
             \valid_read(dweight + (0 .. T*K-1)) && \valid_read(dx_experts + (0 .. T*d-1)) &&
             \valid(dx + (0 .. T*d-1)) && \valid(dwr + (0 .. N*d-1)) && \valid(dbr + (0 .. N-1)) && \valid(room) &&
             \separated(room, index + (0 .. T*K-1)) && \separated(room, weight + (0 .. T*K-1)) &&
             \separated(room, p + (0 .. T*N-1)) && \separated(room, dweight + (0 .. T*K-1)) &&
             \separated(room, wr + (0 .. N*d-1)) && \separated(room, dwr + (0 .. N*d-1)) &&
             \separated(x + (0 .. T*d-1), dwr + (0 .. N*d-1));
    assigns dx[0 .. shape->T*shape->d-1], dwr[0 .. shape->N*shape->d-1], dbr[0 .. shape->N-1],
            work[0 .. shape->T*shape->N+shape->T*shape->d+shape->N-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_router_vjp(const smoe_layer_shape *shape, const double *x, const double *wr, const size_t *index,
                            const double *weight, const double *p, const double *dr, const double *dweight,
                            const double *dx_experts, double *dx, double *dwr, double *dbr, double *work);

/* --- S.7: one training step --- */

/* (S.7) A training step:  everything by smoe_simsmoe_layer, task by (C.14), then
 *   loss = (c_task task + c_balance balance) + c_similarity similarity
 *
 *   target [T,d]      task []  out
 *
 * Source: notes on the paper (task + alpha balancing + beta similarity); spec S.7 for the code's coefficients.
 */
/*@ requires \valid_read(shape) && \valid_read(opt) && \valid_read(in) && \valid_read(gate) && \valid_read(out);
    requires \valid_read(kept) && \valid_read(counter + (0 .. shape->layer.N*shape->layer.N-1)) && \valid(task);
    requires \valid_read(target + (0 .. shape->layer.T*shape->layer.d-1));
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_simsmoe_step(const smoe_simsmoe_shape *shape, const smoe_simsmoe_options *opt,
                              const smoe_simsmoe_in *in, const smoe_gated *gate, const double *counter,
                              const double *target, const smoe_simsmoe_out *out, double *task,
                              const smoe_simsmoe_kept *kept, double *work);

/* ..., gradient:  dy = that of the task under  dtask + c_task cot->loss,  + cot->y;  then smoe_simsmoe_layer_vjp.
 *   work  as smoe_simsmoe_layer_vjp_work says, and T d more */
/*@ requires \valid_read(shape) && \valid_read(opt) && \valid_read(in) && \valid_read(gate) && \valid_read(out);
    requires \valid_read(kept) && \valid_read(cot) && \valid_read(grad);
    requires \valid_read(target + (0 .. shape->layer.T*shape->layer.d-1));
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_simsmoe_step_vjp(const smoe_simsmoe_shape *shape, const smoe_simsmoe_options *opt,
                                  const smoe_simsmoe_in *in, const smoe_gated *gate, const double *target,
                                  const smoe_simsmoe_out *out, const smoe_simsmoe_kept *kept,
                                  const smoe_simsmoe_cot *cot, double dtask, const smoe_simsmoe_grad *grad,
                                  double *work);

#endif
