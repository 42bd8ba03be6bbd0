/* Chapter L: the sparse mixture-of-experts layer of spec/03-layer.md: dispatch, experts, combination.
 *
 * Names of sizes: T tokens, d width, h hidden width, N experts, K experts a token, A = T K assignments.  Assignment
 * a = t K + j is the j-th choice of token t.  Rows "by place" ([A,...]) are grouped by expert: expert i has the rows
 * offset_i .. offset_{i+1} - 1, its tokens ascending.
 *
 * Sizes: T >= 0, d >= 1, h >= 1, 1 <= K <= N.  Outputs alias neither inputs nor each other.  vjps overwrite.
 *
 * Errors of all functions: SMOE_EINVAL for sizes outside that or an unknown order or activation; SMOE_EDOM for a
 * non-finite input or an index out of range (nothing is written); SMOE_EOVRFLW if a finite input made an output or an
 * intermediate overflow (a margin may be +inf).
 */
#ifndef SMOEREF_LAYER_H
#define SMOEREF_LAYER_H

#include <stddef.h>
#include <stdint.h>

#include "expert.h"
#include "gate.h"
#include "numerics.h"

/* Some assignment to expert i has place p. */
/*@ predicate smoe_placed{L}(size_t *choice, integer A, size_t *place, integer i, integer p) =
      \exists integer a; 0 <= a < A && choice[a] == i && place[a] == p; */

/* (L.1) Dispatch:  the list of each expert,  S_i = { a : choice_a = i },  ascending, one list after the other
 *
 *   choice [A]    the expert of each assignment, each below N
 *   offset [N+1]  out: list i is slot_p for offset_i <= p < offset_{i+1}; offset_0 = 0, offset_N = A
 *   slot   [A]    out: the assignment at each place
 *   place  [A]    out: the place of each assignment, slot_{place_a} = a
 *
 * A = 0 and N = 0 are allowed.  Takes A N steps.  Source: bookkeeping; spec L.1.
 */
/*@ requires \valid_read(choice + (0 .. A-1));
    requires \valid(offset + (0 .. N)) && \valid(slot + (0 .. A-1)) && \valid(place + (0 .. A-1));
    requires \separated(choice + (0 .. A-1), offset + (0 .. N), slot + (0 .. A-1), place + (0 .. A-1));
    requires N < SIZE_MAX;
    behavior bad:
      assumes \exists integer a; 0 <= a < A && choice[a] >= N;
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes \forall integer a; 0 <= a < A ==> choice[a] < N;
      assigns offset[0 .. N], slot[0 .. A-1], place[0 .. A-1];
      ensures \result == SMOE_OK;
      ensures offset[0] == 0 && offset[N] == A;
      ensures \forall integer i, k; 0 <= i <= k <= N ==> offset[i] <= offset[k];
      ensures \forall integer a; 0 <= a < A ==> offset[choice[a]] <= place[a] < offset[choice[a] + 1];
      ensures \forall integer a, b; 0 <= a < b < A && choice[a] == choice[b] ==> place[a] < place[b];
      ensures \forall integer a; 0 <= a < A ==> slot[place[a]] == a;
      ensures \forall integer i, p; 0 <= i < N && offset[i] <= p < offset[i + 1] ==>
                smoe_placed(choice, A, place, i, p) && slot[p] < A && choice[slot[p]] == i && place[slot[p]] == p;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_dispatch(size_t A, size_t N, const size_t *choice, size_t *offset, size_t *slot, size_t *place);

/* (L.2) Experts on dispatched tokens:  o_p = E_i(x_t)  for  i the expert of place p,  t = floor(slot_p / K)
 *
 *   x [T,d]   w1 [N,h,d]  b1 [N,h]  w2 [N,d,h]  b2 [N,d]   offset, slot as L.1 gives them
 *   xs [A,d]  out: x_t by place;  a [A,h]  u [A,h]  out: intermediates of the experts;  o [A,d]  out: their outputs
 *
 * One matrix product an expert; the bits are those of E applied to each token alone.
 */
/*@ requires \valid_read(x + (0 .. T*d-1)) && \valid_read(w1 + (0 .. N*h*d-1)) && \valid_read(b1 + (0 .. N*h-1)) &&
             \valid_read(w2 + (0 .. N*d*h-1)) && \valid_read(b2 + (0 .. N*d-1)) &&
             \valid_read(offset + (0 .. N+1-1)) && \valid_read(slot + (0 .. T*K-1));
    requires \valid(xs + (0 .. T*K*d-1)) && \valid(a + (0 .. T*K*h-1)) && \valid(u + (0 .. T*K*h-1)) &&
             \valid(o + (0 .. T*K*d-1));
    assigns xs[0 .. T*K*d-1], a[0 .. T*K*h-1], u[0 .. T*K*h-1], o[0 .. T*K*d-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_experts(smoe_activation phi, size_t T, size_t d, size_t h, size_t N, size_t K, const double *x,
                         const double *w1, const double *b1, const double *w2, const double *b2,
                         const size_t *offset, const size_t *slot, double *xs, double *a, double *u, double *o);

/* dx_t = sum_j (gradient of x from assignment t K + j), j ascending, started at 0; gradients of parameters over an
 * expert's tokens, ascending.
 *
 *   do_ [A,d]   cotangent of o, by place
 *   dx [T,d]  dw1 [N,h,d]  db1 [N,h]  dw2 [N,d,h]  db2 [N,d]   out (an expert without tokens gets zeros)
 *   da [A,h]  dxs [A,d]   out: gradients of a and xs, by place
 */
/*@ requires \valid_read(w1 + (0 .. N*h*d-1)) && \valid_read(w2 + (0 .. N*d*h-1)) &&
             \valid_read(offset + (0 .. N+1-1)) && \valid_read(place + (0 .. T*K-1)) &&
             \valid_read(xs + (0 .. T*K*d-1)) && \valid_read(a + (0 .. T*K*h-1)) &&
             \valid_read(u + (0 .. T*K*h-1)) && \valid_read(do_ + (0 .. T*K*d-1));
    requires \valid(dx + (0 .. T*d-1)) && \valid(dw1 + (0 .. N*h*d-1)) && \valid(db1 + (0 .. N*h-1)) &&
             \valid(dw2 + (0 .. N*d*h-1)) && \valid(db2 + (0 .. N*d-1)) && \valid(da + (0 .. T*K*h-1)) &&
             \valid(dxs + (0 .. T*K*d-1));
    assigns dx[0 .. T*d-1], dw1[0 .. N*h*d-1], db1[0 .. N*h-1], dw2[0 .. N*d*h-1], db2[0 .. N*d-1],
            da[0 .. T*K*h-1], dxs[0 .. T*K*d-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_experts_vjp(smoe_activation phi, size_t T, size_t d, size_t h, size_t N, size_t K,
                             const double *w1, const double *w2, const size_t *offset, const size_t *place,
                             const double *xs, const double *a, const double *u, const double *do_,
                             double *dx, double *dw1, double *db1, double *dw2, double *db2, double *da, double *dxs);

/* (L.3) Combination:  y_t = sum_{j < K} weight_tj o_{place(t,j)},  a chain of fused multiply-adds, j ascending, from 0
 *
 *   weight [T,K]   place [A]   o [A,d] by place
 *   y [T,d]        out
 */
/*@ requires \valid_read(weight + (0 .. T*K-1)) && \valid_read(place + (0 .. T*K-1)) &&
             \valid_read(o + (0 .. T*K*d-1));
    requires \valid(y + (0 .. T*d-1));
    assigns y[0 .. T*d-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_combine(size_t T, size_t d, size_t K, const double *weight, const size_t *place, const double *o,
                         double *y);

/* do_{place(t,j)} = weight_tj dy_t,   dweight_tj = < dy_t, o_{place(t,j)} >.   do_ [A,d]  dweight [T,K]  out */
/*@ requires \valid_read(weight + (0 .. T*K-1)) && \valid_read(place + (0 .. T*K-1)) &&
             \valid_read(o + (0 .. T*K*d-1)) && \valid_read(dy + (0 .. T*d-1));
    requires \valid(do_ + (0 .. T*K*d-1)) && \valid(dweight + (0 .. T*K-1));
    assigns do_[0 .. T*K*d-1], dweight[0 .. T*K-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_combine_vjp(size_t T, size_t d, size_t K, const double *weight, const size_t *place,
                             const double *o, const double *dy, double *do_, double *dweight);

/* --- the layer: G.1, then G.2 | G.3 | G.4, then L.1, L.2, L.3 --- */

typedef struct {
    smoe_weight_order order;
    smoe_activation phi;
    size_t T, d, h, N, K;
} smoe_layer_shape;

typedef struct {
    const double *x;        /* [T,d] */
    const double *wr, *br;  /* [N,d] [N] */
    const double *w1, *b1;  /* [N,h,d] [N,h] */
    const double *w2, *b2;  /* [N,d,h] [N,d] */
} smoe_layer_in;

typedef struct {
    double *y;       /* [T,d] */
    double *r;       /* [T,N] logits */
    size_t *index;   /* [T,K] */
    double *weight;  /* [T,K] */
    double *margin;  /* [T] on r */
} smoe_layer_out;

/* What the forward keeps for the vjp. */
typedef struct {
    size_t *offset;     /* [N+1] */
    size_t *slot;       /* [A] */
    size_t *place;      /* [A] */
    double *p;          /* [T,N] */
    double *xs, *o;     /* [A,d] by place */
    double *a, *u;      /* [A,h] by place */
} smoe_layer_kept;

typedef struct {
    double *x, *wr, *br, *w1, *b1, *w2, *b2; /* shapes as in smoe_layer_in */
} smoe_layer_grad;

/* (L.3) The SMoE layer:  y_t = sum_{i in I_t} weight_ti E_i(x_t) */
/*@ requires \valid_read(shape) && \valid_read(in) && \valid_read(out) && \valid_read(kept);
    requires \let T = shape->T; \let d = shape->d; \let h = shape->h; \let N = shape->N; \let K = shape->K;
             \valid_read(in->x + (0 .. T*d-1)) && \valid_read(in->wr + (0 .. N*d-1)) &&
             \valid_read(in->br + (0 .. N-1)) &&
             \valid_read(in->w1 + (0 .. N*h*d-1)) && \valid_read(in->b1 + (0 .. N*h-1)) &&
             \valid_read(in->w2 + (0 .. N*d*h-1)) && \valid_read(in->b2 + (0 .. N*d-1)) &&
             \valid(out->y + (0 .. T*d-1)) && \valid(out->r + (0 .. T*N-1)) && \valid(out->index + (0 .. T*K-1)) &&
             \valid(out->weight + (0 .. T*K-1)) && \valid(out->margin + (0 .. T-1)) &&
             \valid(kept->offset + (0 .. N)) && \valid(kept->slot + (0 .. T*K-1)) &&
             \valid(kept->place + (0 .. T*K-1)) &&
             \valid(kept->p + (0 .. T*N-1)) && \valid(kept->xs + (0 .. T*K*d-1)) && \valid(kept->o + (0 .. T*K*d-1)) &&
             \valid(kept->a + (0 .. T*K*h-1)) && \valid(kept->u + (0 .. T*K*h-1));
    assigns out->y[0 .. shape->T*shape->d-1], out->r[0 .. shape->T*shape->N-1], out->index[0 .. shape->T*shape->K-1],
            out->weight[0 .. shape->T*shape->K-1], out->margin[0 .. shape->T-1], kept->offset[0 .. shape->N],
            kept->slot[0 .. shape->T*shape->K-1], kept->place[0 .. shape->T*shape->K-1],
            kept->p[0 .. shape->T*shape->N-1], kept->xs[0 .. shape->T*shape->K*shape->d-1],
            kept->o[0 .. shape->T*shape->K*shape->d-1], kept->a[0 .. shape->T*shape->K*shape->h-1],
            kept->u[0 .. shape->T*shape->K*shape->h-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_layer(const smoe_layer_shape *shape, const smoe_layer_in *in, const smoe_layer_out *out,
                       const smoe_layer_kept *kept);

/* Doubles that smoe_layer_vjp needs as `work`: A (2d + h + 1) + T N + N. */
/*@ requires \valid_read(shape);
    assigns \nothing; */
size_t smoe_layer_vjp_work(const smoe_layer_shape *shape);

/* Gradient of the layer for the cotangents dy [T,d] of y, dweight [T,K] of weight and dr [T,N] of r (each of the last
 * two may be NULL: none).  `out` and `kept` as the forward left them.
 *
 *   gradient of weight = < dy_t, o > + dweight;   gradient of r = that of the weights + dr;
 *   gradient of x = (experts' share, j ascending) + (gate's share)
 *
 * SMOE_EDOM for what is in `in` and in the cotangents comes before anything is written; for what was spoilt in `out` or
 * `kept`, some of the outputs may have been written.
 */
/*@ requires \valid_read(shape) && \valid_read(in) && \valid_read(out) && \valid_read(kept) && \valid_read(grad);
    requires \let T = shape->T; \let d = shape->d; \let h = shape->h; \let N = shape->N; \let K = shape->K;
             \valid_read(dy + (0 .. T*d-1)) && (dweight == \null || \valid_read(dweight + (0 .. T*K-1))) &&
             (dr == \null || \valid_read(dr + (0 .. T*N-1))) &&
             \valid(grad->x + (0 .. T*d-1)) && \valid(grad->wr + (0 .. N*d-1)) && \valid(grad->br + (0 .. N-1)) &&
             \valid(grad->w1 + (0 .. N*h*d-1)) && \valid(grad->b1 + (0 .. N*h-1)) &&
             \valid(grad->w2 + (0 .. N*d*h-1)) && \valid(grad->b2 + (0 .. N*d-1)) &&
             \valid(work + (0 .. T*K*(2*d+h+1)+T*N+N-1));
    assigns grad->x[0 .. shape->T*shape->d-1], grad->wr[0 .. shape->N*shape->d-1], grad->br[0 .. shape->N-1],
            grad->w1[0 .. shape->N*shape->h*shape->d-1], grad->b1[0 .. shape->N*shape->h-1],
            grad->w2[0 .. shape->N*shape->d*shape->h-1], grad->b2[0 .. shape->N*shape->d-1],
            work[0 .. shape->T*shape->K*(2*shape->d+shape->h+1)+shape->T*shape->N+shape->N-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_layer_vjp(const smoe_layer_shape *shape, const smoe_layer_in *in, const smoe_layer_out *out,
                           const smoe_layer_kept *kept, const double *dy, const double *dweight, const double *dr,
                           const smoe_layer_grad *grad, double *work);

#endif
