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

#include <stdbool.h>
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
    requires smoe_size(T*K) && smoe_size(T*K*d) && smoe_size(T*d) && \valid(y + (0 .. T*d-1));
    requires \separated(y + (0 .. T*d-1), weight + (0 .. T*K-1)) && \separated(y + (0 .. T*d-1), place + (0 .. T*K-1));
    requires \separated(y + (0 .. T*d-1), o + (0 .. T*K*d-1));
    assigns y[0 .. T*d-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_combine(size_t T, size_t d, size_t K, const double *weight, const size_t *place, const double *o,
                         double *y);

/* do_{place(t,j)} = weight_tj dy_t,   dweight_tj = < dy_t, o_{place(t,j)} >.   do_ [A,d]  dweight [T,K]  out */
/*@ requires \valid_read(weight + (0 .. T*K-1)) && \valid_read(place + (0 .. T*K-1)) &&
             \valid_read(o + (0 .. T*K*d-1)) && \valid_read(dy + (0 .. T*d-1));
    requires smoe_size(T*K) && smoe_size(T*K*d) && smoe_size(T*d);
    requires \valid(do_ + (0 .. T*K*d-1)) && \valid(dweight + (0 .. T*K-1));
    requires \separated(do_ + (0 .. T*K*d-1), dweight + (0 .. T*K-1), weight + (0 .. T*K-1), place + (0 .. T*K-1));
    requires \separated(do_ + (0 .. T*K*d-1), dweight + (0 .. T*K-1), o + (0 .. T*K*d-1));
    requires \separated(do_ + (0 .. T*K*d-1), dweight + (0 .. T*K-1), dy + (0 .. T*d-1));
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
/*@ logic integer smoe_layer_work{L}(smoe_layer_shape *s) =
      s->T*s->K*(2*s->d + s->h + 1) + s->T*s->N + s->N;
    predicate smoe_layer_sizes{L}(smoe_layer_shape *s) =
      smoe_size(s->T*s->K) && smoe_size(2*s->d + s->h + 1) && smoe_size(smoe_layer_work(s)); */
/*@ requires \valid_read(shape);
    assigns \nothing;
    ensures smoe_layer_sizes(shape) ==> \result == smoe_layer_work(shape); */
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

/* --- capacity ----------------------------------------------------------------------------------------------------- */

/* The place of an assignment that found no room in its expert's buffer. */
#define SMOE_DROPPED SIZE_MAX

typedef enum { SMOE_CEIL, SMOE_FLOOR } smoe_rounding;
/* Who comes first: all first choices by token, then all second ones, ...; or token by token, its choices in order. */
typedef enum { SMOE_BY_CHOICE, SMOE_BY_TOKEN } smoe_priority;
/* Whom an expert keeps: the first of the queue, or those of largest weight. */
typedef enum { SMOE_KEEP_FIRST, SMOE_KEEP_LARGEST } smoe_keep;

/* (L.4) Capacity:  C = max(minimum, round(factor T K / N)),  evaluated as (factor * (double)(T K)) / (double)N
 *
 *   factor  1: room for every assignment if the experts share them equally
 *   C       out: SIZE_MAX if the rounded number is 2^53 or more
 *
 * Errors: SMOE_EINVAL if K = 0, N = 0 or an unknown rounding; SMOE_EDOM if factor is negative or not finite.
 * Source: Fedus et al. 2022, section 2.2 (factor); spec L.4 for rounding and minimum.
 */
/*@ requires \valid(C);
    assigns *C;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM; */
smoe_status smoe_capacity(double factor, size_t minimum, smoe_rounding round, size_t T, size_t K, size_t N, size_t *C);

/* (L.4) The queue:  assignments a = t K + j  ordered by (j, t)  or by (t, j)
 *
 *   queue [T K]  out: the assignment at each position, every one once
 *
 * Errors: SMOE_EINVAL for an unknown priority.
 */
/*@ requires smoe_size(T*K) && \valid(queue + (0 .. T*K-1));
    assigns queue[0 .. T*K-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL;
    ensures \result == SMOE_OK <==> priority == SMOE_BY_CHOICE || priority == SMOE_BY_TOKEN;
    ensures \result == SMOE_OK && priority == SMOE_BY_TOKEN ==> \forall integer q; 0 <= q < T*K ==> queue[q] == q;
    ensures \result == SMOE_OK && priority == SMOE_BY_CHOICE ==> \forall integer q; 0 <= q < T*K ==>
              queue[q] / K == q % T && queue[q] % K == q / T;
    ensures \result == SMOE_OK ==> \forall integer q; 0 <= q < T*K ==> queue[q] < T*K;
    ensures \result == SMOE_OK ==> \forall integer p, q; 0 <= p < q < T*K ==> queue[p] != queue[q]; */
smoe_status smoe_queue(smoe_priority priority, size_t T, size_t K, size_t *queue);

/* (L.4) Places by position:  the queue is served in order; an expert takes an assignment while it has fewer than C
 *
 *   choice [A]  the expert of each assignment, each below N
 *   queue  [A]  a permutation of 0 .. A-1
 *   load   [N]  out: assignments kept by each expert, at most C
 *   slot   [A]  out: place in the expert's buffer, counted from 0 in the order of the queue, or SMOE_DROPPED
 *
 * Errors: SMOE_EDOM if a choice is not below N or an entry of the queue not below A; nothing is written.
 */
/*@ requires \valid_read(choice + (0 .. A-1)) && \valid_read(queue + (0 .. A-1));
    requires \valid(load + (0 .. N-1)) && \valid(slot + (0 .. A-1));
    requires \separated(choice + (0 .. A-1), queue + (0 .. A-1), load + (0 .. N-1), slot + (0 .. A-1));
    requires \forall integer p, q; 0 <= p < q < A ==> queue[p] != queue[q];
    behavior bad:
      assumes \exists integer a; 0 <= a < A && (choice[a] >= N || queue[a] >= A);
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes \forall integer a; 0 <= a < A ==> choice[a] < N && queue[a] < A;
      assigns load[0 .. N-1], slot[0 .. A-1];
      ensures \result == SMOE_OK;
      ensures \forall integer i; 0 <= i < N ==> load[i] <= C;
      ensures \forall integer q; 0 <= q < A ==> slot[queue[q]] < load[choice[queue[q]]] || slot[queue[q]] == SIZE_MAX;
      ensures \forall integer q; 0 <= q < A && slot[queue[q]] == SIZE_MAX ==> load[choice[queue[q]]] >= C;
      ensures \forall integer p, q; 0 <= p < q < A && choice[queue[p]] == choice[queue[q]] &&
                slot[queue[q]] != SIZE_MAX ==> slot[queue[p]] < slot[queue[q]];
    complete behaviors; disjoint behaviors; */
smoe_status smoe_slots_first(size_t A, size_t N, size_t C, const size_t *choice, const size_t *queue, size_t *load,
                             size_t *slot);

/* (L.4) Places by weight:  an expert keeps the C assignments of largest weight, earlier in the queue among equals;
 * those that it keeps get their places in the order of the queue.  Takes A^2 steps.
 *
 *   weight [A]  of each assignment;  all else as above
 *
 * Errors: SMOE_EDOM also if a weight is not finite.
 */
/*@ requires \valid_read(choice + (0 .. A-1)) && \valid_read(weight + (0 .. A-1)) && \valid_read(queue + (0 .. A-1));
    requires \valid(load + (0 .. N-1)) && \valid(slot + (0 .. A-1));
    requires \separated(choice + (0 .. A-1), queue + (0 .. A-1), load + (0 .. N-1), slot + (0 .. A-1));
    requires \separated(weight + (0 .. A-1), load + (0 .. N-1), slot + (0 .. A-1));
    assigns load[0 .. N-1], slot[0 .. A-1];
    ensures \result == SMOE_OK || \result == SMOE_EDOM; */
smoe_status smoe_slots_largest(size_t A, size_t N, size_t C, const size_t *choice, const double *weight,
                               const size_t *queue, size_t *load, size_t *slot);

typedef struct {
    smoe_weight_order order;
    smoe_priority priority;
    smoe_keep keep;
    size_t T, N, K, C;
} smoe_capacity_shape;

typedef struct {
    size_t *index;   /* [T,K] */
    double *weight;  /* [T,K] 0 where the assignment was dropped */
    double *margin;  /* [T] on r */
    size_t *slot;    /* [T,K] or SMOE_DROPPED */
    size_t *load;    /* [N] */
} smoe_capacity_out;

/* What the forward keeps for the vjp. */
typedef struct {
    double *gate;    /* [T,K] the weights before anything was dropped */
    double *p;       /* [T,N] */
    size_t *queue;   /* [T,K] */
} smoe_capacity_kept;

/* (L.4) Gate with a capacity:  G.2 | G.3 | G.4 on r [T,N], then the places above; a dropped assignment's weight is 0,
 * the others are what they were (not renormalised).
 *
 * Errors: SMOE_EINVAL if K = 0, K > N or an unknown order, priority or keep; SMOE_EDOM if r is not finite.
 */
/*@ requires \valid_read(shape) && \valid_read(out) && \valid_read(kept);
    requires \let T = shape->T; \let N = shape->N; \let K = shape->K;
             \valid_read(r + (0 .. T*N-1)) && \valid(out->index + (0 .. T*K-1)) &&
             \valid(out->weight + (0 .. T*K-1)) && \valid(out->margin + (0 .. T-1)) &&
             \valid(out->slot + (0 .. T*K-1)) && \valid(out->load + (0 .. N-1)) &&
             \valid(kept->gate + (0 .. T*K-1)) && \valid(kept->p + (0 .. T*N-1)) &&
             \valid(kept->queue + (0 .. T*K-1));
    assigns out->index[0 .. shape->T*shape->K-1], out->weight[0 .. shape->T*shape->K-1],
            out->margin[0 .. shape->T-1], out->slot[0 .. shape->T*shape->K-1], out->load[0 .. shape->N-1],
            kept->gate[0 .. shape->T*shape->K-1], kept->p[0 .. shape->T*shape->N-1],
            kept->queue[0 .. shape->T*shape->K-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_capacity_gate(const smoe_capacity_shape *shape, const double *r, const smoe_capacity_out *out,
                               const smoe_capacity_kept *kept);

/* dr: the vjp of G.2 | G.3 | G.4 at  dgate_a = dweight_a  where a was kept, else 0.  What was kept is a constant.
 *
 *   dweight [T,K]   dr [T,N]  out   work [T K + N]
 */
/*@ requires \valid_read(shape) && \valid_read(out) && \valid_read(kept);
    requires \let T = shape->T; \let N = shape->N; \let K = shape->K;
             \valid_read(dweight + (0 .. T*K-1)) && \valid(dr + (0 .. T*N-1)) && \valid(work + (0 .. T*K+N-1)) &&
             \valid_read(out->index + (0 .. T*K-1)) && \valid_read(out->slot + (0 .. T*K-1)) &&
             \valid_read(kept->gate + (0 .. T*K-1)) && \valid_read(kept->p + (0 .. T*N-1));
    assigns dr[0 .. shape->T*shape->N-1], work[0 .. shape->T*shape->K+shape->N-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_capacity_gate_vjp(const smoe_capacity_shape *shape, const smoe_capacity_out *out,
                                   const smoe_capacity_kept *kept, const double *dweight, double *dr, double *work);

/* --- buffers of equal size ---------------------------------------------------------------------------------------- */

/* (L.5) Is every kept assignment inside the buffers?  index_a < N, and slot_a < C or SMOE_DROPPED, for A assignments */
/*@ requires \valid_read(index + (0 .. A-1)) && \valid_read(slot + (0 .. A-1));
    assigns \nothing;
    ensures \result <==> (\forall integer a; 0 <= a < A ==> index[a] < N && (slot[a] < C || slot[a] == SIZE_MAX)); */
bool smoe_slots_fit(size_t A, size_t N, size_t C, const size_t *index, const size_t *slot);

/* (L.5) Dispatch to buffers:  xe_{i,c} = x_t  where assignment a = t K + j has index_a = i and slot_a = c;  else 0
 *
 *   x [T,d]   index [T,K]   slot [T,K] as L.4 gives it, or SMOE_DROPPED
 *   xe [N,C,d]  out
 *
 * Two assignments to one place: the later one is what is there.  Errors: SMOE_EINVAL if d = 0 or K = 0; SMOE_EDOM if x
 * is not finite or a place is outside the buffers.  Source: GShard and Mesh TensorFlow, by an einsum; spec L.5.
 */
/*@ requires \valid_read(x + (0 .. T*d-1)) && \valid_read(index + (0 .. T*K-1)) && \valid_read(slot + (0 .. T*K-1));
    requires smoe_size(T*d) && smoe_size(T*K) && smoe_size(N*C) && smoe_size(N*C*d) && \valid(xe + (0 .. N*C*d-1));
    assigns xe[0 .. N*C*d-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM; */
smoe_status smoe_buffer_dispatch(size_t T, size_t d, size_t N, size_t K, size_t C, const double *x,
                                 const size_t *index, const size_t *slot, double *xe);

/* dx_t = sum_j dxe_{index_tj, slot_tj} over the kept, j ascending, from 0.   dxe [N,C,d]   dx [T,d]  out */
/*@ requires \valid_read(dxe + (0 .. N*C*d-1)) && \valid_read(index + (0 .. T*K-1)) &&
             \valid_read(slot + (0 .. T*K-1));
    requires smoe_size(T*d) && smoe_size(T*K) && smoe_size(N*C) && smoe_size(N*C*d) && \valid(dx + (0 .. T*d-1));
    assigns dx[0 .. T*d-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_buffer_dispatch_vjp(size_t T, size_t d, size_t N, size_t K, size_t C, const size_t *index,
                                     const size_t *slot, const double *dxe, double *dx);

/* What becomes of a token whose assignments were all dropped: 0, or the token itself. */
typedef enum { SMOE_OVERFLOW_ZERO, SMOE_OVERFLOW_PASS } smoe_overflow;

/* (L.6) Was any of a token's K assignments kept?   slot [K] */
/*@ requires \valid_read(slot + (0 .. K-1));
    assigns \nothing;
    ensures \result <==> (\exists integer j; 0 <= j < K && slot[j] != SIZE_MAX); */
bool smoe_any_kept(size_t K, const size_t *slot);

/* (L.6) Combination of buffers:  y_t = sum_j weight_tj o_{index_tj, slot_tj}  over the kept, a chain of fused multiply-
 * adds, j ascending, from 0;  with SMOE_OVERFLOW_PASS  y_t = x_t  for a token of which nothing was kept
 *
 *   o [N,C,d]   weight [T,K]   index, slot [T,K]   x [T,d]
 *   y [T,d]     out
 *
 * Errors: SMOE_EINVAL if d = 0, K = 0 or an unknown overflow; SMOE_EDOM if o, weight or x is not finite or a place is
 * outside the buffers.  Source: GShard for zero, StableMoE's code for pass; spec L.6.
 */
/*@ requires \valid_read(o + (0 .. N*C*d-1)) && \valid_read(weight + (0 .. T*K-1)) &&
             \valid_read(index + (0 .. T*K-1)) && \valid_read(slot + (0 .. T*K-1)) && \valid_read(x + (0 .. T*d-1));
    requires smoe_size(T*d) && smoe_size(T*K) && smoe_size(N*C) && smoe_size(N*C*d);
    requires \valid(y + (0 .. T*d-1)) && \separated(o + (0 .. N*C*d-1), y + (0 .. T*d-1));
    assigns y[0 .. T*d-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_buffer_combine(smoe_overflow overflow, size_t T, size_t d, size_t N, size_t K, size_t C,
                                const double *o, const double *weight, const size_t *index, const size_t *slot,
                                const double *x, double *y);

/* do_{index_a, slot_a} = weight_a dy_t  (0 at places that nobody has; a chain over the assignments, ascending, from 0,
 * if several have one),  dweight_a = < dy_t, o_{index_a, slot_a} >  (0 if dropped),
 * dx_t = dy_t  where y_t = x_t, else 0
 *
 *   do_ [N,C,d]   dweight [T,K]   dx [T,d]   out
 */
/*@ requires \valid_read(o + (0 .. N*C*d-1)) && \valid_read(weight + (0 .. T*K-1)) &&
             \valid_read(index + (0 .. T*K-1)) && \valid_read(slot + (0 .. T*K-1)) && \valid_read(dy + (0 .. T*d-1));
    requires smoe_size(T*d) && smoe_size(T*K) && smoe_size(N*C) && smoe_size(N*C*d);
    requires \valid(do_ + (0 .. N*C*d-1)) && \valid(dweight + (0 .. T*K-1)) && \valid(dx + (0 .. T*d-1));
    requires \separated(dy + (0 .. T*d-1), do_ + (0 .. N*C*d-1));
    assigns do_[0 .. N*C*d-1], dweight[0 .. T*K-1], dx[0 .. T*d-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_buffer_combine_vjp(smoe_overflow overflow, size_t T, size_t d, size_t N, size_t K, size_t C,
                                    const double *o, const double *weight, const size_t *index, const size_t *slot,
                                    const double *dy, double *do_, double *dweight, double *dx);

/* --- shared experts ----------------------------------------------------------------------------------------------- */

/* shared + routed;  1/2 shared + 1/2 routed, with one shared expert;  x + shared + routed */
typedef enum { SMOE_SHARED_SUM, SMOE_SHARED_HALF, SMOE_SHARED_RESIDUAL } smoe_shared_form;

/* (L.7) Two parts of n elements put together:  y_k = y_k + z_k,  or  y_k = 1/2 y_k + 1/2 z_k  for SMOE_SHARED_HALF */
/*@ requires \valid_read(z + (0 .. n-1)) && \valid(y + (0 .. n-1)) && \separated(z + (0 .. n-1), y + (0 .. n-1));
    assigns y[0 .. n-1];
    ensures form != SMOE_SHARED_HALF ==> \forall integer k; 0 <= k < n ==> y[k] == \old(y[k]) + z[k];
    ensures form == SMOE_SHARED_HALF ==> \forall integer k; 0 <= k < n ==> y[k] == 0.5 * \old(y[k]) + 0.5 * z[k]; */
void smoe_shared_mix(smoe_shared_form form, size_t n, const double *z, double *y);

typedef struct {
    const double *w1, *b1;  /* [M,h,d] [M,h] */
    const double *w2, *b2;  /* [M,d,h] [M,d] */
} smoe_shared_in;

/* What the forward keeps for the vjp, besides smoe_layer_kept. */
typedef struct {
    double *a, *u;  /* [M,T,h] */
    double *e, *z;  /* [T,d] the last shared expert's output, the routed part */
} smoe_shared_kept;

typedef struct {
    double *w1, *b1, *w2, *b2; /* shapes as in smoe_shared_in */
} smoe_shared_grad;

/* (L.7) Layer with M shared experts:  y = (x +) S_0(x) + ... + S_{M-1}(x) + (L.3),  added in this order;  or
 * y = 1/2 S_0(x) + 1/2 (L.3).  The shared experts have the width, the hidden width and the activation of the others.
 *
 * Errors: SMOE_EINVAL also for an unknown form, and for SMOE_SHARED_HALF if M is not 1.
 * Source: DeepSeekMoE; half: public code of CompeteSMoE version 2; spec L.7.
 */
/*@ requires \valid_read(shape) && \valid_read(in) && \valid_read(shared) && \valid_read(out) && \valid_read(kept) &&
             \valid_read(shared_kept);
    requires \let T = shape->T; \let d = shape->d; \let h = shape->h; \let N = shape->N; \let K = shape->K;
             \valid_read(in->x + (0 .. T*d-1)) && \valid_read(in->wr + (0 .. N*d-1)) &&
             \valid_read(in->br + (0 .. N-1)) &&
             \valid_read(in->w1 + (0 .. N*h*d-1)) && \valid_read(in->b1 + (0 .. N*h-1)) &&
             \valid_read(in->w2 + (0 .. N*d*h-1)) && \valid_read(in->b2 + (0 .. N*d-1)) &&
             \valid_read(shared->w1 + (0 .. M*h*d-1)) && \valid_read(shared->b1 + (0 .. M*h-1)) &&
             \valid_read(shared->w2 + (0 .. M*d*h-1)) && \valid_read(shared->b2 + (0 .. M*d-1)) &&
             \valid(out->y + (0 .. T*d-1)) && \valid(out->r + (0 .. T*N-1)) && \valid(out->index + (0 .. T*K-1)) &&
             \valid(out->weight + (0 .. T*K-1)) && \valid(out->margin + (0 .. T-1)) &&
             \valid(kept->offset + (0 .. N)) && \valid(kept->slot + (0 .. T*K-1)) &&
             \valid(kept->place + (0 .. T*K-1)) && \valid(kept->p + (0 .. T*N-1)) &&
             \valid(kept->xs + (0 .. T*K*d-1)) && \valid(kept->o + (0 .. T*K*d-1)) &&
             \valid(kept->a + (0 .. T*K*h-1)) && \valid(kept->u + (0 .. T*K*h-1)) &&
             \valid(shared_kept->a + (0 .. M*T*h-1)) && \valid(shared_kept->u + (0 .. M*T*h-1)) &&
             \valid(shared_kept->e + (0 .. T*d-1)) && \valid(shared_kept->z + (0 .. T*d-1));
    assigns out->y[0 .. shape->T*shape->d-1], out->r[0 .. shape->T*shape->N-1], out->index[0 .. shape->T*shape->K-1],
            out->weight[0 .. shape->T*shape->K-1], out->margin[0 .. shape->T-1], kept->offset[0 .. shape->N],
            kept->slot[0 .. shape->T*shape->K-1], kept->place[0 .. shape->T*shape->K-1],
            kept->p[0 .. shape->T*shape->N-1], kept->xs[0 .. shape->T*shape->K*shape->d-1],
            kept->o[0 .. shape->T*shape->K*shape->d-1], kept->a[0 .. shape->T*shape->K*shape->h-1],
            kept->u[0 .. shape->T*shape->K*shape->h-1], shared_kept->a[0 .. M*shape->T*shape->h-1],
            shared_kept->u[0 .. M*shape->T*shape->h-1], shared_kept->e[0 .. shape->T*shape->d-1],
            shared_kept->z[0 .. shape->T*shape->d-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_shared_layer(smoe_shared_form form, size_t M, const smoe_layer_shape *shape, const smoe_layer_in *in,
                              const smoe_shared_in *shared, const smoe_layer_out *out, const smoe_layer_kept *kept,
                              const smoe_shared_kept *shared_kept);

/* Doubles that smoe_shared_layer_vjp needs as `work`: 3 T d + T h more than smoe_layer_vjp does. */
/*@ requires \valid_read(shape);
    assigns \nothing;
    ensures \let all = 3*shape->T*shape->d + shape->T*shape->h + smoe_layer_work(shape);
            smoe_layer_sizes(shape) && smoe_size(3*shape->T) && smoe_size(all) ==> \result == all; */
size_t smoe_shared_layer_vjp_work(const smoe_layer_shape *shape);

/* Gradient of L.7 for the cotangents dy [T,d] of y and dweight [T,K] of weight (which may be NULL: none).
 *
 *   gradient of x = (dy +) (shared experts' shares, ascending) + (that of L.3);  with SMOE_SHARED_HALF both parts have
 *   the cotangent 1/2 dy
 */
/*@ requires \valid_read(shape) && \valid_read(in) && \valid_read(shared) && \valid_read(out) && \valid_read(kept) &&
             \valid_read(shared_kept) && \valid_read(grad) && \valid_read(shared_grad);
    requires \let T = shape->T; \let d = shape->d; \let h = shape->h; \let N = shape->N; \let K = shape->K;
             \valid_read(in->x + (0 .. T*d-1)) && \valid_read(in->wr + (0 .. N*d-1)) &&
             \valid_read(in->br + (0 .. N-1)) &&
             \valid_read(in->w1 + (0 .. N*h*d-1)) && \valid_read(in->b1 + (0 .. N*h-1)) &&
             \valid_read(in->w2 + (0 .. N*d*h-1)) && \valid_read(in->b2 + (0 .. N*d-1)) &&
             \valid_read(shared->w1 + (0 .. M*h*d-1)) && \valid_read(shared->b1 + (0 .. M*h-1)) &&
             \valid_read(shared->w2 + (0 .. M*d*h-1)) && \valid_read(shared->b2 + (0 .. M*d-1)) &&
             \valid_read(dy + (0 .. T*d-1)) && (dweight == \null || \valid_read(dweight + (0 .. T*K-1))) &&
             \valid(grad->x + (0 .. T*d-1)) && \valid(grad->wr + (0 .. N*d-1)) && \valid(grad->br + (0 .. N-1)) &&
             \valid(grad->w1 + (0 .. N*h*d-1)) && \valid(grad->b1 + (0 .. N*h-1)) &&
             \valid(grad->w2 + (0 .. N*d*h-1)) && \valid(grad->b2 + (0 .. N*d-1)) &&
             \valid(shared_grad->w1 + (0 .. M*h*d-1)) && \valid(shared_grad->b1 + (0 .. M*h-1)) &&
             \valid(shared_grad->w2 + (0 .. M*d*h-1)) && \valid(shared_grad->b2 + (0 .. M*d-1)) &&
             \valid(work + (0 .. 3*T*d+T*h+T*K*(2*d+h+1)+T*N+N-1));
    assigns grad->x[0 .. shape->T*shape->d-1], grad->wr[0 .. shape->N*shape->d-1], grad->br[0 .. shape->N-1],
            grad->w1[0 .. shape->N*shape->h*shape->d-1], grad->b1[0 .. shape->N*shape->h-1],
            grad->w2[0 .. shape->N*shape->d*shape->h-1], grad->b2[0 .. shape->N*shape->d-1],
            shared_grad->w1[0 .. M*shape->h*shape->d-1], shared_grad->b1[0 .. M*shape->h-1],
            shared_grad->w2[0 .. M*shape->d*shape->h-1], shared_grad->b2[0 .. M*shape->d-1],
            work[0 .. 3*shape->T*shape->d+shape->T*shape->h+shape->T*shape->K*(2*shape->d+shape->h+1)
                      +shape->T*shape->N+shape->N-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_shared_layer_vjp(smoe_shared_form form, size_t M, const smoe_layer_shape *shape,
                                  const smoe_layer_in *in, const smoe_shared_in *shared, const smoe_layer_out *out,
                                  const smoe_layer_kept *kept, const smoe_shared_kept *shared_kept, const double *dy,
                                  const double *dweight, const smoe_layer_grad *grad,
                                  const smoe_shared_grad *shared_grad, double *work);

/* --- measures: none of them is differentiable, or meant to be trained on ------------------------------------------ */

/* changes: tokens before T with another expert in b than in a.  member: is i one of the first K of b?  met: how many of
 * the first j of a are in b. */
/*@ logic integer changes{L}(size_t *a, size_t *b, integer T) =
      T <= 0 ? 0 : changes(a, b, T-1) + (a[T-1] == b[T-1] ? 0 : 1);
    logic integer member{L}(size_t *b, integer K, integer i) =
      K <= 0 ? 0 : (b[K-1] == i ? 1 : member(b, K-1, i));
    logic integer met{L}(size_t *a, integer j, size_t *b, integer K) =
      j <= 0 ? 0 : met(a, j-1, b, K) + member(b, K, a[j-1]); */

/* (L.8) The largest of N counts, N >= 1. */
/*@ requires N > 0 && \valid_read(count + (0 .. N-1));
    assigns \nothing;
    ensures \forall integer i; 0 <= i < N ==> count[i] <= \result;
    ensures \exists integer i; 0 <= i < N && count[i] == \result; */
size_t smoe_largest_load(size_t N, const size_t *count);

/* (L.8) Maximal violation of balance:  (max_i c_i - A/N) / (A/N)
 *
 *   count      [N]  assignments of each expert as smoe_expert_load counts them; they sum to A
 *   violation       out: 0 at balance, N - 1 if one expert has everything and K = 1
 *
 * Errors: SMOE_EINVAL if A = 0 or N = 0; SMOE_EDOM if a count exceeds A.
 * Source: Wang et al. 2024 (loss-free balancing), MaxVio; spec L.8.
 */
/*@ requires \valid_read(count + (0 .. N-1)) && \valid(violation);
    assigns *violation;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM; */
smoe_status smoe_max_violation(size_t A, size_t N, const size_t *count, double *violation);

/* (L.9) Experts with a token:  row_i = #{ k < i : count_k > 0 },  their number is returned */
/*@ requires \valid_read(count + (0 .. N-1)) && \valid(row + (0 .. N-1));
    requires \separated(count + (0 .. N-1), row + (0 .. N-1));
    assigns row[0 .. N-1];
    ensures \result <= N;
    ensures \forall integer i; 0 <= i < N && count[i] > 0 ==> row[i] < \result;
    ensures \forall integer i, k; 0 <= i < k < N && count[i] > 0 ==> row[i] < row[k]; */
size_t smoe_nonempty(size_t N, const size_t *count, size_t *row);

/* Doubles that smoe_collapse needs as `work`: N (2d + N + 2) + 2d. */
/*@ assigns \nothing;
    ensures \let all = N*(2*d + N + 2) + 2*d; smoe_size(2*d + N + 2) && smoe_size(all) ==> \result == all; */
size_t smoe_collapse_work(size_t d, size_t N);

/* (L.9) Representation collapse:  RC = Tr(Sw Sb^+)
 *
 *   x [T,d]   index [T]  the expert of each token, below N
 *   rc        out: within-expert scatter as the between-expert scatter measures it; 0 if no expert's tokens differ
 *   work      smoe_collapse_work doubles;   count [2 N]
 *
 * Errors: SMOE_EINVAL if T, d or N is 0; SMOE_EDOM if x is not finite, an index not below N, fewer than two experts
 * have tokens, or the means of those n' that do span fewer than n' - 1 directions (a pivot of at most n' 2^-40 times
 * the mean eigenvalue); SMOE_EOVRFLW.
 * Source: Chi et al. 2022 (XMoE); spec L.9 for the form that is evaluated.
 */
/*@ requires \valid_read(x + (0 .. T*d-1)) && \valid_read(index + (0 .. T-1)) && \valid(rc);
    requires \valid(work + (0 .. N*(2*d+N+2)+2*d-1)) && \valid(count + (0 .. 2*N-1));
    assigns *rc, work[0 .. N*(2*d+N+2)+2*d-1], count[0 .. 2*N-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_collapse(size_t T, size_t d, size_t N, const double *x, const size_t *index, double *rc, double *work,
                          size_t *count);

/* (L.10) Tokens whose expert has changed:  #{ t : a_t != b_t } */
/*@ requires \valid_read(a + (0 .. T-1)) && \valid_read(b + (0 .. T-1));
    assigns \nothing;
    ensures \result == changes(a, b, T) && \result <= T; */
size_t smoe_count_changes(size_t T, const size_t *a, const size_t *b);

/* (L.10) Routing fluctuation:  (1/T) #{ t : a_t != b_t }.  SMOE_EINVAL if T = 0.
 * Source: Dai et al. 2022 (StableMoE); spec L.10. */
/*@ requires \valid_read(a + (0 .. T-1)) && \valid_read(b + (0 .. T-1)) && \valid(rate);
    assigns *rate;
    ensures \result == (T == 0 ? SMOE_EINVAL : SMOE_OK); */
smoe_status smoe_fluctuation(size_t T, const size_t *a, const size_t *b, double *rate);

/* (L.11) Are the K experts of a row distinct? */
/*@ requires \valid_read(a + (0 .. K-1));
    assigns \nothing;
    ensures \result <==> (\forall integer j, l; 0 <= j < l < K ==> a[j] != a[l]); */
bool smoe_distinct(size_t K, const size_t *a);

/* (L.11) Experts in common:  #{ j : a_j is in b }  of two rows of K distinct experts */
/*@ requires \valid_read(a + (0 .. K-1)) && \valid_read(b + (0 .. K-1));
    assigns \nothing;
    ensures \result == met(a, K, b, K) && \result <= K; */
size_t smoe_common(size_t K, const size_t *a, const size_t *b);

/* (L.11) Expert change rate, of sets:  (1/T) #{ t : {a_t} != {b_t} };  of the Jaccard distance:
 * (1/T) sum_t (1 - n_t / (2K - n_t)),  n_t experts in common
 *
 *   a, b [T,K]  the experts of each token at two times, distinct in each row
 *
 * Errors: SMOE_EINVAL if T = 0 or K = 0; SMOE_EDOM if a row names an expert twice.  Source: ours; spec L.11.
 */
/*@ requires smoe_size(T*K) && \valid_read(a + (0 .. T*K-1)) && \valid_read(b + (0 .. T*K-1)) && \valid(rate);
    assigns *rate;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM;
    ensures \result == SMOE_EINVAL <==> T == 0 || K == 0; */
smoe_status smoe_change_sets(size_t T, size_t K, const size_t *a, const size_t *b, double *rate);
/*@ requires smoe_size(T*K) && \valid_read(a + (0 .. T*K-1)) && \valid_read(b + (0 .. T*K-1)) && \valid(rate);
    assigns *rate;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM;
    ensures \result == SMOE_EINVAL <==> T == 0 || K == 0; */
smoe_status smoe_change_jaccard(size_t T, size_t K, const size_t *a, const size_t *b, double *rate);

#endif
