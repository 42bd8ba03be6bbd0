/* The SMoE layer: spec/03-layer.md. */
#include "layer.h"

#include <math.h>
#include <stdbool.h>

#ifdef __FRAMAC__
/*@ assigns \nothing;
    ensures x >= 0 ==> 0 <= \result; */
double ceil(double x);
/*@ assigns \nothing;
    ensures x >= 0 ==> 0 <= \result <= x; */
double floor(double x);
#endif

/* --- L.1 --- */

/* Words of the proof.  rank_a counts the assignments before a that have a's expert. */
/*@ predicate below{L}(size_t *choice, integer A, integer N) = \forall integer a; 0 <= a < A ==> choice[a] < N;
    predicate rising{L}(size_t *offset, integer N) = \forall integer i, k; 0 <= i <= k <= N ==> offset[i] <= offset[k];
    predicate ends{L}(integer A, integer N, size_t *offset) = offset[0] == 0 && offset[N] == A && rising(offset, N);
    predicate ordered{L}(size_t *choice, integer A, size_t *place) =
      \forall integer a, b; 0 <= a < b < A && choice[a] == choice[b] ==> place[a] < place[b];
    predicate ranks{L}(size_t *choice, integer A, size_t *offset, size_t *rank) =
      \forall integer a; 0 <= a < A ==> 0 <= rank[a] < offset[choice[a] + 1] - offset[choice[a]];
    predicate all_ranks{L}(size_t *choice, integer A, integer N, size_t *offset, size_t *rank) =
      \forall integer i, k; 0 <= i < N && 0 <= k < offset[i + 1] - offset[i] ==> smoe_placed(choice, A, rank, i, k);
    predicate ranked{L}(size_t *choice, integer A, integer N, size_t *offset, size_t *rank) =
      ends(A, N, offset) && ranks(choice, A, offset, rank) && ordered(choice, A, rank) &&
      all_ranks(choice, A, N, offset, rank);
    predicate within{L}(size_t *choice, integer A, size_t *offset, size_t *place) =
      \forall integer a; 0 <= a < A ==> offset[choice[a]] <= place[a] < offset[choice[a] + 1];
    predicate filled{L}(size_t *choice, integer A, integer N, size_t *offset, size_t *place) =
      \forall integer i, p; 0 <= i < N && offset[i] <= p < offset[i + 1] ==> smoe_placed(choice, A, place, i, p); */

/* One more in list c: all lists after it begin one later. */
/*@ requires c < N < SIZE_MAX && \valid(offset + (0 .. N));
    requires rising(offset, N) && offset[N] < SIZE_MAX;
    assigns offset[c + 1 .. N];
    ensures rising(offset, N);
    ensures offset[N] == \old(offset[N]) + 1;
    ensures offset[c + 1] - offset[c] == \old(offset[c + 1] - offset[c]) + 1;
    ensures \forall integer i; 0 <= i < N && i != c ==> offset[i + 1] - offset[i] == \old(offset[i + 1] - offset[i]); */
static void lengthen(size_t N, size_t c, size_t *offset)
{
    /*@ loop invariant c < i <= N + 1;
        loop invariant \forall integer k; c < k < i ==> offset[k] == \at(offset[k], Pre) + 1;
        loop invariant \forall integer k; i <= k <= N ==> offset[k] == \at(offset[k], Pre);
        loop assigns i, offset[c + 1 .. N]; loop variant N + 1 - i; */
    for (size_t i = c + 1; i <= N; i++)
        offset[i]++;
}

/* Assignment a, to expert c, comes last in its list. */
/*@ requires a < SIZE_MAX && c < N < SIZE_MAX && choice[a] == c && below(choice, a, N);
    requires \valid_read(choice + (0 .. a)) && \valid(offset + (0 .. N)) && \valid(rank + (0 .. a));
    requires \separated(choice + (0 .. a), offset + (0 .. N), rank + (0 .. a));
    requires ranked(choice, a, N, offset, rank);
    assigns offset[c + 1 .. N], rank[a];
    ensures offset[0] == 0 && offset[N] == a + 1;
    ensures rising(offset, N);
    ensures ranks(choice, a + 1, offset, rank);
    ensures ordered(choice, a + 1, rank);
    ensures all_ranks(choice, a + 1, N, offset, rank); */
static void append(size_t a, size_t c, size_t N, const size_t *choice, size_t *offset, size_t *rank)
{
    (void)choice; /* read by the contract alone */
    rank[a] = offset[c + 1] - offset[c];
    lengthen(N, c, offset);
    //@ assert \forall integer b; 0 <= b <= a ==> choice[b] == \at(choice[b], Pre);
    //@ assert \forall integer b; 0 <= b < a ==> rank[b] == \at(rank[b], Pre);
    //@ assert offset[c + 1] - offset[c] == rank[a] + 1;
    /*@ assert \forall integer i; 0 <= i < N && i != c ==>
          offset[i + 1] - offset[i] == \at(offset[i + 1] - offset[i], Pre); */
    /*@ assert \forall integer i, k; \at(smoe_placed(choice, a, rank, i, k), Pre) ==>
          smoe_placed(choice, a + 1, rank, i, k); */
    //@ assert smoe_placed(choice, a + 1, rank, c, rank[a]);
    /*@ assert \forall integer i, k; 0 <= i < N && i != c && 0 <= k < offset[i + 1] - offset[i] ==>
          smoe_placed(choice, a + 1, rank, i, k); */
    //@ assert \forall integer k; 0 <= k < rank[a] ==> smoe_placed(choice, a + 1, rank, c, k);
    //@ assert \forall integer k; 0 <= k < offset[c + 1] - offset[c] ==> smoe_placed(choice, a + 1, rank, c, k);
}

/*@ requires \valid_read(choice + (0 .. A-1)) && \valid(offset + (0 .. N)) && \valid(rank + (0 .. A-1));
    requires \separated(choice + (0 .. A-1), offset + (0 .. N), rank + (0 .. A-1));
    requires N < SIZE_MAX && below(choice, A, N);
    assigns offset[0 .. N], rank[0 .. A-1];
    ensures ranked(choice, A, N, offset, rank); */
static void rank_in_lists(size_t A, size_t N, const size_t *choice, size_t *offset, size_t *rank)
{
    /*@ loop invariant 0 <= i <= N + 1;
        loop invariant \forall integer k; 0 <= k < i ==> offset[k] == 0;
        loop assigns i, offset[0 .. N]; loop variant N + 1 - i; */
    for (size_t i = 0; i <= N; i++)
        offset[i] = 0;

    /*@ loop invariant 0 <= a <= A;
        loop invariant below(choice, A, N);
        loop invariant ranked(choice, a, N, offset, rank);
        loop assigns a, rank[0 .. A-1], offset[0 .. N]; loop variant A - a; */
    for (size_t a = 0; a < A; a++)
        append(a, choice[a], N, choice, offset, rank);
}

/* place_a = offset_{choice_a} + rank_a, in the place of the ranks. */
/*@ requires \valid_read(choice + (0 .. A-1)) && \valid_read(offset + (0 .. N)) && \valid(place + (0 .. A-1));
    requires \separated(choice + (0 .. A-1), offset + (0 .. N), place + (0 .. A-1));
    requires N < SIZE_MAX && below(choice, A, N) && ranked(choice, A, N, offset, place);
    assigns place[0 .. A-1];
    ensures below(choice, A, N) && ends(A, N, offset);
    ensures within(choice, A, offset, place);
    ensures ordered(choice, A, place);
    ensures filled(choice, A, N, offset, place); */
static void add_offsets(size_t A, size_t N, const size_t *choice, const size_t *offset, size_t *place)
{
    (void)N; /* read by the contract alone */
    /*@ loop invariant 0 <= a <= A;
        loop invariant \forall integer b; 0 <= b < a ==> place[b] == \at(place[b], Pre) + offset[choice[b]];
        loop invariant \forall integer b; a <= b < A ==> place[b] == \at(place[b], Pre);
        loop assigns a, place[0 .. A-1]; loop variant A - a; */
    for (size_t a = 0; a < A; a++) {
        //@ assert place[a] < offset[choice[a] + 1] - offset[choice[a]];
        //@ assert offset[choice[a] + 1] <= offset[N];
        place[a] += offset[choice[a]];
    }
    //@ assert \forall integer b; 0 <= b < A ==> choice[b] == \at(choice[b], Pre);
    //@ assert \forall integer i; 0 <= i <= N ==> offset[i] == \at(offset[i], Pre);
    /*@ assert \forall integer i, p; 0 <= i < N && offset[i] <= p < offset[i + 1] &&
          \at(smoe_placed(choice, A, place, i, p - offset[i]), Pre) ==> smoe_placed(choice, A, place, i, p); */
    /*@ assert \forall integer i, p; 0 <= i < N && offset[i] <= p < offset[i + 1] ==>
          \at(smoe_placed(choice, A, place, i, p - offset[i]), Pre); */
}

/* slot is the inverse of place. */
/*@ requires \valid_read(choice + (0 .. A-1)) && \valid_read(offset + (0 .. N)) && \valid_read(place + (0 .. A-1));
    requires \valid(slot + (0 .. A-1));
    requires \separated(choice + (0 .. A-1), offset + (0 .. N), slot + (0 .. A-1), place + (0 .. A-1));
    requires N < SIZE_MAX && below(choice, A, N) && ends(A, N, offset);
    requires within(choice, A, offset, place) && ordered(choice, A, place) && filled(choice, A, N, offset, place);
    assigns slot[0 .. A-1];
    ensures ends(A, N, offset) && within(choice, A, offset, place) && ordered(choice, A, place);
    ensures \forall integer a; 0 <= a < A ==> slot[place[a]] == a;
    ensures \forall integer i, p; 0 <= i < N && offset[i] <= p < offset[i + 1] ==>
              smoe_placed(choice, A, place, i, p) && slot[p] < A && choice[slot[p]] == i && place[slot[p]] == p; */
static void invert(size_t A, size_t N, const size_t *choice, const size_t *offset, const size_t *place, size_t *slot)
{
    (void)N, (void)choice, (void)offset; /* read by the contract alone */
    /*@ loop invariant 0 <= a <= A;
        loop invariant \forall integer b; 0 <= b < a ==> slot[place[b]] == b;
        loop assigns a, slot[0 .. A-1]; loop variant A - a; */
    for (size_t a = 0; a < A; a++) {
        //@ assert place[a] < offset[choice[a] + 1] <= offset[N];
        //@ assert \forall integer b; 0 <= b < a && choice[b] == choice[a] ==> place[b] < place[a];
        /*@ assert \forall integer b; 0 <= b < a && choice[b] < choice[a] ==>
              place[b] < offset[choice[b] + 1] <= offset[choice[a]] <= place[a]; */
        /*@ assert \forall integer b; 0 <= b < a && choice[b] > choice[a] ==>
              place[a] < offset[choice[a] + 1] <= offset[choice[b]] <= place[b]; */
        //@ assert \forall integer b; 0 <= b < a ==> place[b] != place[a];
        slot[place[a]] = a;
    }
    //@ assert \forall integer b; 0 <= b < A ==> choice[b] == \at(choice[b], Pre) && place[b] == \at(place[b], Pre);
    //@ assert \forall integer i; 0 <= i <= N ==> offset[i] == \at(offset[i], Pre);
    //@ assert below(choice, A, N) && rising(offset, N);
    //@ assert within(choice, A, offset, place);
    /*@ assert \forall integer i, p; smoe_placed(choice, A, place, i, p) ==>
          slot[p] < A && choice[slot[p]] == i && place[slot[p]] == p; */
    /*@ assert \forall integer i, p; 0 <= i < N && offset[i] <= p < offset[i + 1] ==>
          smoe_placed(choice, A, place, i, p); */
}

smoe_status smoe_dispatch(size_t A, size_t N, const size_t *choice, size_t *offset, size_t *slot, size_t *place)
{
    /*@ loop invariant 0 <= a <= A;
        loop invariant below(choice, a, N);
        loop assigns a; loop variant A - a; */
    for (size_t a = 0; a < A; a++)
        if (choice[a] >= N) return SMOE_EDOM;
    rank_in_lists(A, N, choice, offset, place);
    //@ assert below(choice, A, N);
    add_offsets(A, N, choice, offset, place);
    invert(A, N, choice, offset, place, slot);                          /* (L.1) */
    return SMOE_OK;
}

/* --- L.2 --- */

/* offset and slot as smoe_dispatch leaves them for A assignments, or SMOE_EDOM. */
static smoe_status check_lists(size_t A, size_t N, const size_t *offset, const size_t *slot)
{
    if (offset[0] != 0 || offset[N] != A) return SMOE_EDOM;
    for (size_t i = 0; i < N; i++)
        if (offset[i] > offset[i + 1]) return SMOE_EDOM;
    for (size_t p = 0; p < A; p++)
        if (slot[p] >= A) return SMOE_EDOM;
    return SMOE_OK;
}

static bool sizes_make_sense(smoe_activation phi, size_t d, size_t h, size_t N, size_t K)
{
    return d > 0 && h > 0 && K > 0 && K <= N && (phi == SMOE_RELU || phi == SMOE_GELU || phi == SMOE_GELU_TANH);
}

smoe_status smoe_experts(smoe_activation phi, size_t T, size_t d, size_t h, size_t N, size_t K, const double *x,
                         const double *w1, const double *b1, const double *w2, const double *b2,
                         const size_t *offset, const size_t *slot, double *xs, double *a, double *u, double *o)
{
    if (!sizes_make_sense(phi, d, h, N, K)) return SMOE_EINVAL;
    if (check_lists(T * K, N, offset, slot) != SMOE_OK) return SMOE_EDOM;
    if (!smoe_all_finite(T * d, x) || !smoe_all_finite(N * h * d, w1) || !smoe_all_finite(N * h, b1) ||
        !smoe_all_finite(N * d * h, w2) || !smoe_all_finite(N * d, b2)) return SMOE_EDOM;

    for (size_t p = 0; p < T * K; p++)
        for (size_t k = 0; k < d; k++)
            xs[p * d + k] = x[slot[p] / K * d + k];                     /* x_t, t = floor(slot_p / K) */

    for (size_t i = 0; i < N; i++) {
        size_t p = offset[i], n = offset[i + 1] - p;
        smoe_status status = smoe_expert_mlp(phi, n, d, h, xs + p * d, w1 + i * h * d, b1 + i * h, w2 + i * d * h,
                                             b2 + i * d, a + p * h, u + p * h, o + p * d);          /* (L.2) */
        if (status != SMOE_OK) return status;
    }
    return SMOE_OK;
}

smoe_status smoe_experts_vjp(smoe_activation phi, size_t T, size_t d, size_t h, size_t N, size_t K,
                             const double *w1, const double *w2, const size_t *offset, const size_t *place,
                             const double *xs, const double *a, const double *u, const double *do_,
                             double *dx, double *dw1, double *db1, double *dw2, double *db2, double *da, double *dxs)
{
    if (!sizes_make_sense(phi, d, h, N, K)) return SMOE_EINVAL;
    size_t A = T * K;
    if (check_lists(A, N, offset, place) != SMOE_OK) return SMOE_EDOM;
    if (!smoe_all_finite(N * h * d, w1) || !smoe_all_finite(N * d * h, w2) || !smoe_all_finite(A * d, xs) ||
        !smoe_all_finite(A * h, a) || !smoe_all_finite(A * h, u) || !smoe_all_finite(A * d, do_)) return SMOE_EDOM;

    for (size_t i = 0; i < N; i++) {
        size_t p = offset[i], n = offset[i + 1] - p;
        smoe_status status = smoe_expert_mlp_vjp(phi, n, d, h, xs + p * d, w1 + i * h * d, w2 + i * d * h, a + p * h,
                                                 u + p * h, do_ + p * d, dxs + p * d, dw1 + i * h * d, db1 + i * h,
                                                 dw2 + i * d * h, db2 + i * d, da + p * h);
        if (status != SMOE_OK) return status;
    }
    for (size_t k = 0; k < T * d; k++)
        dx[k] = 0.0;
    for (size_t t = 0; t < T; t++)
        for (size_t j = 0; j < K; j++)
            for (size_t k = 0; k < d; k++)
                dx[t * d + k] += dxs[place[t * K + j] * d + k];
    return smoe_all_finite(T * d, dx) ? SMOE_OK : SMOE_EOVRFLW;
}

/* --- L.3 --- */

/*@ requires smoe_size(T*K) && smoe_size(T*K*d) && \valid_read(weight + (0 .. T*K-1));
    requires \valid_read(place + (0 .. T*K-1)) && \valid_read(o + (0 .. T*K*d-1));
    assigns \nothing;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM;
    ensures \result == SMOE_OK ==> d > 0 && K > 0 && \forall integer a; 0 <= a < T*K ==> place[a] < T*K; */
static smoe_status check_combine(size_t T, size_t d, size_t K, const double *weight, const size_t *place,
                                 const double *o)
{
    if (d == 0 || K == 0) return SMOE_EINVAL;
    /*@ assert (size_t)(T*K) == T*K && (size_t)(T*K*d) == T*K*d; */
    /*@ loop invariant 0 <= a <= T*K && \forall integer b; 0 <= b < a ==> place[b] < T*K;
        loop assigns a; loop variant T*K - a; */
    for (size_t a = 0; a < T * K; a++)
        if (place[a] >= T * K) return SMOE_EDOM;
    return smoe_all_finite(T * K, weight) && smoe_all_finite(T * K * d, o) ? SMOE_OK : SMOE_EDOM;
}

smoe_status smoe_combine(size_t T, size_t d, size_t K, const double *weight, const size_t *place, const double *o,
                         double *y)
{
    smoe_status status = check_combine(T, d, K, weight, place, o);
    if (status != SMOE_OK) return status;
    /*@ loop invariant 0 <= k <= T*d;
        loop assigns k, y[0 .. T*d-1]; loop variant T*d - k; */
    for (size_t k = 0; k < T * d; k++)
        y[k] = 0.0;
    /*@ loop invariant 0 <= t <= T;
        loop assigns t, y[0 .. T*d-1]; loop variant T - t; */
    for (size_t t = 0; t < T; t++)
        //@ ghost row_is_inside(t, T, K);
        //@ ghost row_is_inside(t, T, d);
        /*@ loop invariant 0 <= j <= K;
            loop assigns j, y[0 .. T*d-1]; loop variant K - j; */
        for (size_t j = 0; j < K; j++)
            /*@ assert (size_t)(T*K) == T*K && (size_t)(t*K + j) == t*K + j && t*K + j < T*K; */
            //@ ghost row_is_inside(place[t * K + j], T * K, d);
            smoe_axpy(d, weight[t * K + j], o + place[t * K + j] * d, y + t * d);                   /* (L.3) */
    return smoe_all_finite(T * d, y) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_combine_vjp(size_t T, size_t d, size_t K, const double *weight, const size_t *place,
                             const double *o, const double *dy, double *do_, double *dweight)
{
    smoe_status status = check_combine(T, d, K, weight, place, o);
    if (status != SMOE_OK) return status;
    if (!smoe_all_finite(T * d, dy)) return SMOE_EDOM;
    /*@ assert (size_t)(T*K) == T*K && (T*K)*d == T*K*d; */
    /*@ loop invariant 0 <= t <= T;
        loop assigns t, do_[0 .. T*K*d-1], dweight[0 .. T*K-1]; loop variant T - t; */
    for (size_t t = 0; t < T; t++) {
        //@ ghost row_is_inside(t, T, K);
        //@ ghost row_is_inside(t, T, d);
        /*@ loop invariant 0 <= j <= K;
            loop assigns j, do_[0 .. T*K*d-1], dweight[0 .. T*K-1]; loop variant K - j; */
        for (size_t j = 0; j < K; j++) {
            size_t a = t * K + j, p = place[a];
            //@ ghost row_is_inside(p, T * K, d);
            /*@ loop invariant 0 <= k <= d;
                loop assigns k, do_[0 .. T*K*d-1]; loop variant d - k; */
            for (size_t k = 0; k < d; k++)
                do_[p * d + k] = weight[a] * dy[t * d + k];             /* do = weight dy */
            dweight[a] = smoe_dot(d, dy + t * d, o + p * d);            /* dweight = <dy, o> */
        }
    }
    return smoe_all_finite(T * K * d, do_) && smoe_all_finite(T * K, dweight) ? SMOE_OK : SMOE_EOVRFLW;
}

/* --- the layer --- */

static bool shape_makes_sense(const smoe_layer_shape *s)
{
    return sizes_make_sense(s->phi, s->d, s->h, s->N, s->K) &&
           (s->order == SMOE_TOPK_SOFTMAX || s->order == SMOE_SOFTMAX_TOPK || s->order == SMOE_SOFTMAX_TOPK_RENORM);
}

static bool inputs_are_finite(const smoe_layer_shape *s, const smoe_layer_in *in)
{
    return smoe_all_finite(s->T * s->d, in->x) && smoe_all_finite(s->N * s->d, in->wr) &&
           smoe_all_finite(s->N, in->br) && smoe_all_finite(s->N * s->h * s->d, in->w1) &&
           smoe_all_finite(s->N * s->h, in->b1) && smoe_all_finite(s->N * s->d * s->h, in->w2) &&
           smoe_all_finite(s->N * s->d, in->b2);
}

smoe_status smoe_layer(const smoe_layer_shape *s, const smoe_layer_in *in, const smoe_layer_out *out,
                       const smoe_layer_kept *kept)
{
    if (!shape_makes_sense(s)) return SMOE_EINVAL;
    if (!inputs_are_finite(s, in)) return SMOE_EDOM;
    size_t T = s->T, d = s->d, h = s->h, N = s->N, K = s->K;

    smoe_status status = smoe_gate_linear(T, d, N, in->x, in->wr, in->br, out->r);                  /* G.1 */
    if (status != SMOE_OK) return status;
    status = smoe_gate_weights(s->order, T, N, K, out->r, out->index, out->weight, out->margin, kept->p);
    if (status != SMOE_OK) return status;
    status = smoe_dispatch(T * K, N, out->index, kept->offset, kept->slot, kept->place);            /* L.1 */
    if (status != SMOE_OK) return status;
    status = smoe_experts(s->phi, T, d, h, N, K, in->x, in->w1, in->b1, in->w2, in->b2, kept->offset, kept->slot,
                          kept->xs, kept->a, kept->u, kept->o);                                     /* L.2 */
    if (status != SMOE_OK) return status;
    return smoe_combine(T, d, K, out->weight, kept->place, kept->o, out->y);                        /* L.3 */
}

size_t smoe_layer_vjp_work(const smoe_layer_shape *s)
{
    size_t A = s->T * s->K;
    //@ assert smoe_layer_sizes(s) ==> A == s->T*s->K && 0 <= A*(2*s->d + s->h + 1) && 0 <= s->T*s->N;
    return A * (2 * s->d + s->h + 1) + s->T * s->N + s->N;
}

/* Gradient of r from that of the weights, then of the gate's inputs; the gate's share of dx goes to dx_gate. */
static smoe_status gate_vjp(const smoe_layer_shape *s, const smoe_layer_in *in, const smoe_layer_out *out,
                            const smoe_layer_kept *kept, const double *dweight, const double *dr_given,
                            const smoe_layer_grad *grad, double *dr, double *dx_gate, double *work)
{
    smoe_status status = smoe_gate_weights_vjp(s->order, s->T, s->N, s->K, out->index, out->weight, kept->p, dweight,
                                               dr, work);
    if (status != SMOE_OK) return status;
    if (dr_given)
        for (size_t k = 0; k < s->T * s->N; k++)
            dr[k] += dr_given[k];
    if (!smoe_all_finite(s->T * s->N, dr)) return SMOE_EOVRFLW;
    return smoe_gate_linear_vjp(s->T, s->d, s->N, in->x, in->wr, dr, dx_gate, grad->wr, grad->br);
}

smoe_status smoe_layer_vjp(const smoe_layer_shape *s, const smoe_layer_in *in, const smoe_layer_out *out,
                           const smoe_layer_kept *kept, const double *dy, const double *dweight, const double *dr,
                           const smoe_layer_grad *grad, double *work)
{
    if (!shape_makes_sense(s)) return SMOE_EINVAL;
    size_t T = s->T, d = s->d, h = s->h, N = s->N, K = s->K, A = T * K;
    if (!inputs_are_finite(s, in) || !smoe_all_finite(T * d, dy) || (dweight && !smoe_all_finite(A, dweight)) ||
        (dr && !smoe_all_finite(T * N, dr))) return SMOE_EDOM;
    double *do_ = work, *dxs = do_ + A * d, *da = dxs + A * d, *omega = da + A * h, *rho = omega + A;
    double *row = rho + T * N;

    smoe_status status = smoe_combine_vjp(T, d, K, out->weight, kept->place, kept->o, dy, do_, omega);
    if (status != SMOE_OK) return status;
    if (dweight)
        for (size_t a = 0; a < A; a++)
            omega[a] += dweight[a];
    if (!smoe_all_finite(A, omega)) return SMOE_EOVRFLW;
    status = smoe_experts_vjp(s->phi, T, d, h, N, K, in->w1, in->w2, kept->offset, kept->place, kept->xs, kept->a,
                              kept->u, do_, grad->x, grad->w1, grad->b1, grad->w2, grad->b2, da, dxs);
    if (status != SMOE_OK) return status;
    double *dx_gate = dxs;                                              /* dxs has been summed: its room is free */
    status = gate_vjp(s, in, out, kept, omega, dr, grad, rho, dx_gate, row);
    if (status != SMOE_OK) return status;
    for (size_t k = 0; k < T * d; k++)
        grad->x[k] += dx_gate[k];
    return smoe_all_finite(T * d, grad->x) ? SMOE_OK : SMOE_EOVRFLW;
}

/* --- L.4 --- */

smoe_status smoe_capacity(double factor, size_t minimum, smoe_rounding round, size_t T, size_t K, size_t N, size_t *C)
{
    if (K == 0 || N == 0 || (round != SMOE_CEIL && round != SMOE_FLOOR)) return SMOE_EINVAL;
    if (!smoe_all_finite(1, &factor) || factor < 0) return SMOE_EDOM;
    double share = factor * (double)(T * K) / (double)N;
    //@ assert share >= 0;
    double rounded = round == SMOE_CEIL ? ceil(share) : floor(share);
    size_t wanted = rounded < 0x1p53 ? (size_t)rounded : SIZE_MAX;
    *C = wanted > minimum ? wanted : minimum;                           /* C = max(minimum, round(factor T K / N)) */
    return SMOE_OK;
}

smoe_status smoe_queue(smoe_priority priority, size_t T, size_t K, size_t *queue)
{
    if (priority != SMOE_BY_CHOICE && priority != SMOE_BY_TOKEN) return SMOE_EINVAL;
    /*@ loop invariant 0 <= q <= T*K;
        loop invariant priority == SMOE_BY_TOKEN ==> \forall integer p; 0 <= p < q ==> queue[p] == p;
        loop invariant priority == SMOE_BY_CHOICE ==> \forall integer p; 0 <= p < q ==>
          queue[p] < T*K && queue[p] / K == p % T && queue[p] % K == p / T;
        loop assigns q, queue[0 .. T*K-1]; loop variant T*K - q; */
    for (size_t q = 0; q < T * K; q++) {
        //@ assert T > 0 && K > 0;
        //@ assert q == (q / T)*T + q % T && 0 <= q % T < T;
        //@ assert 0 <= q / T < K;
        //@ assert (q % T)*K + K <= T*K;
        //@ assert 0 <= (q % T)*K + q / T < T*K;
        //@ assert \let a = (q % T)*K + q / T; a == (a / K)*K + a % K && 0 <= a % K < K;
        //@ assert \let a = (q % T)*K + q / T; (a / K - q % T)*K == q / T - a % K;
        //@ assert \let a = (q % T)*K + q / T; -K < (a / K - q % T)*K < K;
        //@ assert \let a = (q % T)*K + q / T; a / K == q % T && a % K == q / T;
        queue[q] = priority == SMOE_BY_TOKEN ? q : q % T * K + q / T;   /* a = t K + j: by (t, j), or by (j, t) */
    }
    return SMOE_OK;
}

/*@ requires \valid_read(choice + (0 .. A-1)) && \valid_read(queue + (0 .. A-1));
    assigns \nothing;
    ensures \result <==> (\forall integer a; 0 <= a < A ==> choice[a] < N && queue[a] < A); */
static bool queue_makes_sense(size_t A, size_t N, const size_t *choice, const size_t *queue)
{
    /*@ loop invariant 0 <= a <= A;
        loop invariant \forall integer b; 0 <= b < a ==> choice[b] < N && queue[b] < A;
        loop assigns a; loop variant A - a; */
    for (size_t a = 0; a < A; a++)
        if (choice[a] >= N || queue[a] >= A) return false;
    return true;
}

/*@ requires \valid(load + (0 .. N-1));
    assigns load[0 .. N-1];
    ensures \forall integer i; 0 <= i < N ==> load[i] == 0; */
static void no_load(size_t N, size_t *load)
{
    /*@ loop invariant 0 <= i <= N && \forall integer k; 0 <= k < i ==> load[k] == 0;
        loop assigns i, load[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        load[i] = 0;
}

/* Assignment a asks expert i for a place. */
/*@ requires \valid(load + i) && \valid(slot + a) && \separated(load + i, slot + a);
    requires load[i] <= C;
    assigns load[i], slot[a];
    ensures \old(load[i]) < C ==> load[i] == \old(load[i]) + 1 && slot[a] == \old(load[i]);
    ensures \old(load[i]) == C ==> load[i] == C && slot[a] == SIZE_MAX; */
static void serve(size_t a, size_t i, size_t C, size_t *load, size_t *slot)
{
    slot[a] = SMOE_DROPPED;
    if (load[i] >= C) return;
    slot[a] = load[i];                                                  /* place in the buffer   (L.4) */
    load[i]++;
}

smoe_status smoe_slots_first(size_t A, size_t N, size_t C, const size_t *choice, const size_t *queue, size_t *load,
                             size_t *slot)
{
    if (!queue_makes_sense(A, N, choice, queue)) return SMOE_EDOM;
    no_load(N, load);
    /*@ loop invariant 0 <= q <= A;
        loop invariant \forall integer i; 0 <= i < N ==> load[i] <= C && load[i] <= q;
        loop invariant \forall integer p; 0 <= p < q ==>
          slot[queue[p]] < load[choice[queue[p]]] || slot[queue[p]] == SIZE_MAX;
        loop invariant \forall integer p; 0 <= p < q && slot[queue[p]] == SIZE_MAX ==> load[choice[queue[p]]] >= C;
        loop invariant \forall integer o, p; 0 <= o < p < q && choice[queue[o]] == choice[queue[p]] &&
          slot[queue[p]] != SIZE_MAX ==> slot[queue[o]] < slot[queue[p]];
        loop assigns q, load[0 .. N-1], slot[0 .. A-1]; loop variant A - q; */
    for (size_t q = 0; q < A; q++) {
        //@ assert \forall integer p; 0 <= p <= q ==> queue[p] < A && choice[queue[p]] < N;
        //@ assert \forall integer p; 0 <= p < q ==> queue[p] != queue[q];
        //@ ghost Asked: ;
        serve(queue[q], choice[queue[q]], C, load, slot);
        //@ assert \forall integer p; 0 <= p < A ==> queue[p] == \at(queue[p], Pre);
        //@ assert \forall integer a; 0 <= a < A ==> choice[a] == \at(choice[a], Pre);
        //@ assert \forall integer p; 0 <= p <= q ==> choice[queue[p]] == \at(choice[queue[p]], Asked);
        //@ assert \forall integer p; 0 <= p < q ==> slot[queue[p]] == \at(slot[queue[p]], Asked);
        //@ assert \forall integer i; 0 <= i < N ==> load[i] >= \at(load[i], Asked);
        /*@ assert \forall integer p; 0 <= p < q ==>
              load[choice[queue[p]]] >= \at(load[choice[queue[p]]], Asked); */
        /*@ assert \forall integer p; 0 <= p < q && choice[queue[p]] == choice[queue[q]] &&
              slot[queue[q]] != SIZE_MAX ==> slot[queue[p]] < slot[queue[q]]; */
    }
    return SMOE_OK;
}

/* How many of the queue go before its q-th for the room of one expert: larger weight, or equal and earlier. */
/*@ requires q < A && \valid_read(choice + (0 .. A-1)) && \valid_read(weight + (0 .. A-1)) &&
             \valid_read(queue + (0 .. A-1));
    requires \forall integer p; 0 <= p < A ==> queue[p] < A;
    assigns \nothing;
    ensures \result <= A; */
static size_t rivals_ahead(size_t A, size_t q, const size_t *choice, const double *weight, const size_t *queue)
{
    size_t a = queue[q], ahead = 0;
    /*@ loop invariant 0 <= p <= A && ahead <= p;
        loop assigns p, ahead; loop variant A - p; */
    for (size_t p = 0; p < A; p++) {
        size_t b = queue[p];
        if (choice[b] == choice[a] && (weight[b] > weight[a] || (weight[b] == weight[a] && p < q))) ahead++;
    }
    return ahead;
}

smoe_status smoe_slots_largest(size_t A, size_t N, size_t C, const size_t *choice, const double *weight,
                               const size_t *queue, size_t *load, size_t *slot)
{
    if (!queue_makes_sense(A, N, choice, queue) || !smoe_all_finite(A, weight)) return SMOE_EDOM;
    no_load(N, load);
    /*@ loop invariant 0 <= q <= A;
        loop invariant \forall integer i; 0 <= i < N ==> load[i] <= q;
        loop assigns q, load[0 .. N-1], slot[0 .. A-1]; loop variant A - q; */
    for (size_t q = 0; q < A; q++) {
        //@ assert \forall integer p; 0 <= p < A ==> queue[p] == \at(queue[p], Pre) && choice[p] == \at(choice[p], Pre);
        size_t a = queue[q];
        slot[a] = SMOE_DROPPED;
        if (rivals_ahead(A, q, choice, weight, queue) < C) slot[a] = load[choice[a]]++;
    }
    return SMOE_OK;
}

static bool capacity_makes_sense(const smoe_capacity_shape *s)
{
    return s->K > 0 && s->K <= s->N && (s->keep == SMOE_KEEP_FIRST || s->keep == SMOE_KEEP_LARGEST) &&
           (s->priority == SMOE_BY_CHOICE || s->priority == SMOE_BY_TOKEN);
}

smoe_status smoe_capacity_gate(const smoe_capacity_shape *s, const double *r, const smoe_capacity_out *out,
                               const smoe_capacity_kept *kept)
{
    if (!capacity_makes_sense(s)) return SMOE_EINVAL;
    size_t A = s->T * s->K;
    smoe_status status = smoe_gate_weights(s->order, s->T, s->N, s->K, r, out->index, kept->gate, out->margin,
                                           kept->p);
    if (status != SMOE_OK) return status;
    status = smoe_queue(s->priority, s->T, s->K, kept->queue);
    if (status != SMOE_OK) return status;
    status = s->keep == SMOE_KEEP_FIRST
                 ? smoe_slots_first(A, s->N, s->C, out->index, kept->queue, out->load, out->slot)
                 : smoe_slots_largest(A, s->N, s->C, out->index, kept->gate, kept->queue, out->load, out->slot);
    if (status != SMOE_OK) return status;
    for (size_t a = 0; a < A; a++)
        out->weight[a] = out->slot[a] == SMOE_DROPPED ? 0.0 : kept->gate[a];                       /* (L.4) */
    return SMOE_OK;
}

smoe_status smoe_capacity_gate_vjp(const smoe_capacity_shape *s, const smoe_capacity_out *out,
                                   const smoe_capacity_kept *kept, const double *dweight, double *dr, double *work)
{
    if (!capacity_makes_sense(s)) return SMOE_EINVAL;
    size_t A = s->T * s->K;
    if (!smoe_all_finite(A, dweight)) return SMOE_EDOM;
    for (size_t a = 0; a < A; a++)
        work[a] = out->slot[a] == SMOE_DROPPED ? 0.0 : dweight[a];
    return smoe_gate_weights_vjp(s->order, s->T, s->N, s->K, out->index, kept->gate, kept->p, work, dr, work + A);
}

/* --- L.5, L.6 --- */

bool smoe_slots_fit(size_t A, size_t N, size_t C, const size_t *index, const size_t *slot)
{
    /*@ loop invariant 0 <= a <= A;
        loop invariant \forall integer b; 0 <= b < a ==> index[b] < N && (slot[b] < C || slot[b] == SIZE_MAX);
        loop assigns a; loop variant A - a; */
    for (size_t a = 0; a < A; a++)
        if (index[a] >= N || (slot[a] >= C && slot[a] != SMOE_DROPPED)) return false;
    return true;
}

/*@ requires \valid(x + (0 .. n-1));
    assigns x[0 .. n-1]; */
static void clear(size_t n, double *x)
{
    /*@ loop invariant 0 <= k <= n;
        loop assigns k, x[0 .. n-1]; loop variant n - k; */
    for (size_t k = 0; k < n; k++)
        x[k] = 0.0;
}

smoe_status smoe_buffer_dispatch(size_t T, size_t d, size_t N, size_t K, size_t C, const double *x,
                                 const size_t *index, const size_t *slot, double *xe)
{
    if (d == 0 || K == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(T * d, x) || !smoe_slots_fit(T * K, N, C, index, slot)) return SMOE_EDOM;
    //@ assert (size_t)(N * C) == N * C && (size_t)(N * C * d) == N * C * d;
    clear(N * C * d, xe);
    /*@ loop invariant 0 <= a <= T*K;
        loop assigns a, xe[0 .. N*C*d-1]; loop variant T*K - a; */
    for (size_t a = 0; a < T * K; a++) {
        //@ assert index[a] < N && (slot[a] < C || slot[a] == SIZE_MAX);
        //@ ghost row_is_inside(index[a], N, C);
        //@ ghost if (slot[a] < C) row_is_inside(index[a] * C + slot[a], N * C, d);
        //@ assert a / K < T;
        //@ ghost row_is_inside(a / K, T, d);
        /*@ loop invariant 0 <= k <= d;
            loop assigns k, xe[0 .. N*C*d-1]; loop variant d - k; */
        for (size_t k = 0; slot[a] != SMOE_DROPPED && k < d; k++)
            xe[(index[a] * C + slot[a]) * d + k] = x[a / K * d + k];    /* xe_{i,c} = x_t   (L.5) */
    }
    return SMOE_OK;
}

smoe_status smoe_buffer_dispatch_vjp(size_t T, size_t d, size_t N, size_t K, size_t C, const size_t *index,
                                     const size_t *slot, const double *dxe, double *dx)
{
    if (d == 0 || K == 0) return SMOE_EINVAL;
    //@ assert (size_t)(N * C) == N * C && (size_t)(N * C * d) == N * C * d;
    if (!smoe_all_finite(N * C * d, dxe) || !smoe_slots_fit(T * K, N, C, index, slot)) return SMOE_EDOM;
    clear(T * d, dx);
    /*@ loop invariant 0 <= a <= T*K;
        loop assigns a, dx[0 .. T*d-1]; loop variant T*K - a; */
    for (size_t a = 0; a < T * K; a++) {
        //@ assert index[a] < N && (slot[a] < C || slot[a] == SIZE_MAX);
        //@ ghost row_is_inside(index[a], N, C);
        //@ ghost if (slot[a] < C) row_is_inside(index[a] * C + slot[a], N * C, d);
        //@ assert a / K < T;
        //@ ghost row_is_inside(a / K, T, d);
        /*@ loop invariant 0 <= k <= d;
            loop assigns k, dx[0 .. T*d-1]; loop variant d - k; */
        for (size_t k = 0; slot[a] != SMOE_DROPPED && k < d; k++)
            dx[a / K * d + k] += dxe[(index[a] * C + slot[a]) * d + k];
    }
    return smoe_all_finite(T * d, dx) ? SMOE_OK : SMOE_EOVRFLW;
}

bool smoe_any_kept(size_t K, const size_t *slot)
{
    /*@ loop invariant 0 <= j <= K && \forall integer l; 0 <= l < j ==> slot[l] == SIZE_MAX;
        loop assigns j; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        if (slot[j] != SMOE_DROPPED) return true;
    return false;
}

//@ assigns \nothing;
static bool combine_makes_sense(smoe_overflow overflow, size_t d, size_t K)
{
    return d > 0 && K > 0 && (overflow == SMOE_OVERFLOW_ZERO || overflow == SMOE_OVERFLOW_PASS);
}

smoe_status smoe_buffer_combine(smoe_overflow overflow, size_t T, size_t d, size_t N, size_t K, size_t C,
                                const double *o, const double *weight, const size_t *index, const size_t *slot,
                                const double *x, double *y)
{
    if (!combine_makes_sense(overflow, d, K)) return SMOE_EINVAL;
    //@ assert (size_t)(N * C) == N * C && (size_t)(N * C * d) == N * C * d;
    if (!smoe_all_finite(N * C * d, o) || !smoe_all_finite(T * K, weight) || !smoe_all_finite(T * d, x) ||
        !smoe_slots_fit(T * K, N, C, index, slot)) return SMOE_EDOM;
    /*@ loop invariant 0 <= t <= T;
        loop assigns t, y[0 .. T*d-1]; loop variant T - t; */
    for (size_t t = 0; t < T; t++) {
        //@ ghost row_is_inside(t, T, K);
        //@ ghost row_is_inside(t, T, d);
        bool pass = overflow == SMOE_OVERFLOW_PASS && !smoe_any_kept(K, slot + t * K);
        /*@ loop invariant 0 <= k <= d;
            loop assigns k, y[0 .. T*d-1]; loop variant d - k; */
        for (size_t k = 0; k < d; k++)
            y[t * d + k] = pass ? x[t * d + k] : 0.0;
        /*@ loop invariant t*K <= a <= t*K + K;
            loop assigns a, y[0 .. T*d-1]; loop variant t*K + K - a; */
        for (size_t a = t * K; a < t * K + K; a++) {
            //@ assert index[a] < N && (slot[a] < C || slot[a] == SIZE_MAX);
            //@ ghost row_is_inside(index[a], N, C);
            //@ ghost if (slot[a] < C) row_is_inside(index[a] * C + slot[a], N * C, d);
            if (slot[a] != SMOE_DROPPED)
                smoe_axpy(d, weight[a], o + (index[a] * C + slot[a]) * d, y + t * d);               /* (L.6) */
        }
    }
    return smoe_all_finite(T * d, y) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_buffer_combine_vjp(smoe_overflow overflow, size_t T, size_t d, size_t N, size_t K, size_t C,
                                    const double *o, const double *weight, const size_t *index, const size_t *slot,
                                    const double *dy, double *do_, double *dweight, double *dx)
{
    if (!combine_makes_sense(overflow, d, K)) return SMOE_EINVAL;
    //@ assert (size_t)(N * C) == N * C && (size_t)(N * C * d) == N * C * d;
    if (!smoe_all_finite(N * C * d, o) || !smoe_all_finite(T * K, weight) || !smoe_all_finite(T * d, dy) ||
        !smoe_slots_fit(T * K, N, C, index, slot)) return SMOE_EDOM;
    clear(N * C * d, do_);
    /*@ loop invariant 0 <= t <= T;
        loop assigns t, do_[0 .. N*C*d-1], dweight[0 .. T*K-1], dx[0 .. T*d-1]; loop variant T - t; */
    for (size_t t = 0; t < T; t++) {
        //@ ghost row_is_inside(t, T, K);
        //@ ghost row_is_inside(t, T, d);
        bool pass = overflow == SMOE_OVERFLOW_PASS && !smoe_any_kept(K, slot + t * K);
        /*@ loop invariant 0 <= k <= d;
            loop assigns k, dx[0 .. T*d-1]; loop variant d - k; */
        for (size_t k = 0; k < d; k++)
            dx[t * d + k] = pass ? dy[t * d + k] : 0.0;
        /*@ loop invariant t*K <= a <= t*K + K;
            loop assigns a, do_[0 .. N*C*d-1], dweight[0 .. T*K-1]; loop variant t*K + K - a; */
        for (size_t a = t * K; a < t * K + K; a++) {
            //@ assert index[a] < N && (slot[a] < C || slot[a] == SIZE_MAX);
            //@ ghost row_is_inside(index[a], N, C);
            //@ ghost if (slot[a] < C) row_is_inside(index[a] * C + slot[a], N * C, d);
            dweight[a] = 0.0;
            if (slot[a] == SMOE_DROPPED) continue;
            size_t row = (index[a] * C + slot[a]) * d;
            dweight[a] = smoe_dot(d, dy + t * d, o + row);              /* dweight = <dy, o> */
            smoe_axpy(d, weight[a], dy + t * d, do_ + row);             /* do = weight dy */
        }
    }
    return smoe_all_finite(N * C * d, do_) && smoe_all_finite(T * K, dweight) ? SMOE_OK : SMOE_EOVRFLW;
}

/* --- L.7 --- */

void smoe_shared_mix(smoe_shared_form form, size_t n, const double *z, double *y)
{
    if (form != SMOE_SHARED_HALF) {
        /*@ loop invariant 0 <= k <= n;
            loop invariant \forall integer i; 0 <= i < k ==> y[i] == \at(y[i], Pre) + z[i];
            loop invariant \forall integer i; k <= i < n ==> y[i] == \at(y[i], Pre);
            loop assigns k, y[0 .. n-1]; loop variant n - k; */
        for (size_t k = 0; k < n; k++)
            y[k] += z[k];                                               /* shared + routed   (L.7) */
    } else {
        /*@ loop invariant 0 <= k <= n;
            loop invariant \forall integer i; 0 <= i < k ==> y[i] == 0.5 * \at(y[i], Pre) + 0.5 * z[i];
            loop invariant \forall integer i; k <= i < n ==> y[i] == \at(y[i], Pre);
            loop assigns k, y[0 .. n-1]; loop variant n - k; */
        for (size_t k = 0; k < n; k++)
            y[k] = 0.5 * y[k] + 0.5 * z[k];                             /* 1/2 shared + 1/2 routed   (L.7) */
    }
}

static bool shared_makes_sense(smoe_shared_form form, size_t M, const smoe_layer_shape *s)
{
    if (!shape_makes_sense(s)) return false;
    return form == SMOE_SHARED_SUM || form == SMOE_SHARED_RESIDUAL || (form == SMOE_SHARED_HALF && M == 1);
}

static bool shared_are_finite(size_t M, const smoe_layer_shape *s, const smoe_shared_in *shared)
{
    return smoe_all_finite(M * s->h * s->d, shared->w1) && smoe_all_finite(M * s->h, shared->b1) &&
           smoe_all_finite(M * s->d * s->h, shared->w2) && smoe_all_finite(M * s->d, shared->b2);
}

smoe_status smoe_shared_layer(smoe_shared_form form, size_t M, const smoe_layer_shape *s, const smoe_layer_in *in,
                              const smoe_shared_in *shared, const smoe_layer_out *out, const smoe_layer_kept *kept,
                              const smoe_shared_kept *sk)
{
    if (!shared_makes_sense(form, M, s)) return SMOE_EINVAL;
    if (!inputs_are_finite(s, in) || !shared_are_finite(M, s, shared)) return SMOE_EDOM;
    size_t T = s->T, d = s->d, h = s->h;
    double *y = out->y;
    for (size_t k = 0; k < T * d; k++)
        y[k] = form == SMOE_SHARED_RESIDUAL ? in->x[k] : 0.0;
    for (size_t m = 0; m < M; m++) {
        smoe_status status = smoe_expert_mlp(s->phi, T, d, h, in->x, shared->w1 + m * h * d, shared->b1 + m * h,
                                             shared->w2 + m * d * h, shared->b2 + m * d, sk->a + m * T * h,
                                             sk->u + m * T * h, sk->e);
        if (status != SMOE_OK) return status;
        smoe_shared_mix(SMOE_SHARED_SUM, T * d, sk->e, y);              /* shared experts, ascending */
    }
    smoe_layer_out routed = *out;
    routed.y = sk->z;
    smoe_status status = smoe_layer(s, in, &routed, kept);              /* L.3 */
    if (status != SMOE_OK) return status;
    smoe_shared_mix(form, T * d, sk->z, y);
    return smoe_all_finite(T * d, y) ? SMOE_OK : SMOE_EOVRFLW;
}

size_t smoe_shared_layer_vjp_work(const smoe_layer_shape *s)
{
    //@ assert 0 <= 3*s->T*s->d && 0 <= s->T*s->h && 0 <= s->T*s->N && 0 <= s->T*s->K*(2*s->d + s->h + 1);
    return 3 * s->T * s->d + s->T * s->h + smoe_layer_vjp_work(s);
}

/* dx, which holds what goes before, gets the shares of the shared experts; g is the cotangent of each of them. */
static smoe_status shared_vjp(size_t M, const smoe_layer_shape *s, const double *x, const smoe_shared_in *shared,
                              const smoe_shared_kept *sk, const double *g, const smoe_shared_grad *grad, double *dx,
                              double *share, double *da)
{
    size_t T = s->T, d = s->d, h = s->h;
    for (size_t m = 0; m < M; m++) {
        smoe_status status = smoe_expert_mlp_vjp(s->phi, T, d, h, x, shared->w1 + m * h * d, shared->w2 + m * d * h,
                                                 sk->a + m * T * h, sk->u + m * T * h, g, share, grad->w1 + m * h * d,
                                                 grad->b1 + m * h, grad->w2 + m * d * h, grad->b2 + m * d, da);
        if (status != SMOE_OK) return status;
        smoe_shared_mix(SMOE_SHARED_SUM, T * d, share, dx);
    }
    return SMOE_OK;
}

smoe_status smoe_shared_layer_vjp(smoe_shared_form form, size_t M, const smoe_layer_shape *s, const smoe_layer_in *in,
                                  const smoe_shared_in *shared, const smoe_layer_out *out, const smoe_layer_kept *kept,
                                  const smoe_shared_kept *sk, const double *dy, const double *dweight,
                                  const smoe_layer_grad *grad, const smoe_shared_grad *shared_grad, double *work)
{
    if (!shared_makes_sense(form, M, s)) return SMOE_EINVAL;
    size_t T = s->T, n = T * s->d;
    if (!inputs_are_finite(s, in) || !shared_are_finite(M, s, shared) || !smoe_all_finite(n, dy) ||
        (dweight && !smoe_all_finite(T * s->K, dweight))) return SMOE_EDOM;
    double *g = work, *routed_dx = g + n, *share = routed_dx + n, *da = share + n, *rest = da + T * s->h;
    for (size_t k = 0; k < n; k++) {
        g[k] = form == SMOE_SHARED_HALF ? 0.5 * dy[k] : dy[k];
        grad->x[k] = form == SMOE_SHARED_RESIDUAL ? dy[k] : 0.0;
    }
    smoe_status status = shared_vjp(M, s, in->x, shared, sk, g, shared_grad, grad->x, share, da);
    if (status != SMOE_OK) return status;
    smoe_layer_grad routed = *grad;
    routed.x = routed_dx;
    status = smoe_layer_vjp(s, in, out, kept, g, dweight, NULL, &routed, rest);
    if (status != SMOE_OK) return status;
    smoe_shared_mix(SMOE_SHARED_SUM, n, routed_dx, grad->x);
    return smoe_all_finite(n, grad->x) ? SMOE_OK : SMOE_EOVRFLW;
}

/* --- L.8 --- */

size_t smoe_largest_load(size_t N, const size_t *count)
{
    size_t largest = count[0];
    /*@ loop invariant 1 <= i <= N;
        loop invariant \forall integer k; 0 <= k < i ==> count[k] <= largest;
        loop invariant \exists integer k; 0 <= k < i && count[k] == largest;
        loop assigns i, largest; loop variant N - i; */
    for (size_t i = 1; i < N; i++)
        if (count[i] > largest) largest = count[i];
    return largest;
}

smoe_status smoe_max_violation(size_t A, size_t N, const size_t *count, double *violation)
{
    if (A == 0 || N == 0) return SMOE_EINVAL;
    size_t largest = smoe_largest_load(N, count);
    if (largest > A) return SMOE_EDOM;
    double mean = (double)A / (double)N;
    *violation = ((double)largest - mean) / mean;                       /* (L.8) */
    return SMOE_OK;
}

/* --- L.9 --- */

size_t smoe_nonempty(size_t N, const size_t *count, size_t *row)
{
    size_t found = 0;
    /*@ loop invariant 0 <= i <= N && found <= i;
        loop invariant \forall integer k; 0 <= k < i ==> row[k] <= found;
        loop invariant \forall integer k; 0 <= k < i && count[k] > 0 ==> row[k] < found;
        loop invariant \forall integer k, l; 0 <= k < l < i && count[k] > 0 ==> row[k] < row[l];
        loop assigns i, found, row[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++) {
        row[i] = found;
        if (count[i] > 0) found++;
    }
    return found;
}

size_t smoe_collapse_work(size_t d, size_t N)
{
    return N * (2 * d + N + 2) + 2 * d;
}

/* count_i = #{ t : index_t = i },  false if an index is not below N. */
static bool count_tokens(size_t T, size_t N, const size_t *index, size_t *count)
{
    for (size_t t = 0; t < T; t++)
        if (index[t] >= N) return false;
    no_load(N, count);
    for (size_t t = 0; t < T; t++)
        count[index[t]]++;
    return true;
}

/* mean [d] of all tokens and means [n',d] of those experts that have some: sums, tokens ascending, then divided. */
static void token_means(size_t T, size_t d, size_t N, const double *x, const size_t *index, const size_t *count,
                        const size_t *row, double *mean, double *means)
{
    clear(d, mean);
    clear(N * d, means);
    for (size_t t = 0; t < T; t++)
        for (size_t k = 0; k < d; k++) {
            mean[k] += x[t * d + k];
            means[row[index[t]] * d + k] += x[t * d + k];
        }
    for (size_t k = 0; k < d; k++)
        mean[k] /= (double)T;
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; count[i] > 0 && k < d; k++)
            means[row[i] * d + k] /= (double)count[i];
}

/* v_i = sqrt(n_i / T)  and the rows  A_i = v_i (m_i - m). */
static void between(size_t T, size_t d, size_t N, const size_t *count, const size_t *row, const double *mean,
                    const double *means, double *v, double *A)
{
    for (size_t i = 0; i < N; i++) {
        if (count[i] == 0) continue;
        size_t p = row[i];
        v[p] = sqrt((double)count[i] / (double)T);
        for (size_t k = 0; k < d; k++)
            A[p * d + k] = v[p] * (means[p * d + k] - mean[k]);
    }
}

/* B = A A' + tau v v',  tau = Tr(A A') / (n - 1),  which is returned. */
static double gram(size_t n, size_t d, const double *A, const double *v, double *B)
{
    double trace = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            B[i * n + j] = smoe_dot(d, A + i * d, A + j * d);
    for (size_t i = 0; i < n; i++)
        trace += B[i * n + i];
    double tau = trace / (double)(n - 1);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            B[i * n + j] += tau * (v[i] * v[j]);
    return tau;
}

/* B = L D L' in its place: D on the diagonal, L below it.  False if a pivot is not above `least`. */
static bool factor(size_t n, double least, double *B)
{
    for (size_t j = 0; j < n; j++) {
        for (size_t k = 0; k < j; k++)
            B[j * n + j] -= B[j * n + k] * B[j * n + k] * B[k * n + k];
        if (!(B[j * n + j] > least)) return false;
        for (size_t i = j + 1; i < n; i++) {
            for (size_t k = 0; k < j; k++)
                B[i * n + j] -= B[i * n + k] * B[j * n + k] * B[k * n + k];
            B[i * n + j] /= B[j * n + j];
        }
    }
    return true;
}

/* z = (L D L')^-1 z. */
static void solve(size_t n, const double *B, double *z)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            z[i] -= B[i * n + k] * z[k];
    for (size_t i = 0; i < n; i++)
        z[i] /= B[i * n + i];
    for (size_t i = n; i-- > 0;)
        for (size_t k = i + 1; k < n; k++)
            z[i] -= B[k * n + i] * z[k];
}

smoe_status smoe_collapse(size_t T, size_t d, size_t N, const double *x, const size_t *index, double *rc, double *work,
                          size_t *count)
{
    if (T == 0 || d == 0 || N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(T * d, x) || !count_tokens(T, N, index, count)) return SMOE_EDOM;
    size_t *row = count + N, n = smoe_nonempty(N, count, row);
    if (n < 2) return SMOE_EDOM;
    double *mean = work, *off = mean + d, *means = off + d, *A = means + N * d, *B = A + N * d, *v = B + N * N,
           *z = v + N;
    token_means(T, d, N, x, index, count, row, mean, means);
    between(T, d, N, count, row, mean, means, v, A);
    double tau = gram(n, d, A, v, B), sum = 0;
    if (!smoe_all_finite(n * n, B)) return SMOE_EOVRFLW;
    if (!factor(n, (double)n * 0x1p-40 * tau, B)) return SMOE_EDOM;
    for (size_t t = 0; t < T; t++) {
        for (size_t k = 0; k < d; k++)
            off[k] = x[t * d + k] - means[row[index[t]] * d + k];
        for (size_t i = 0; i < n; i++)
            z[i] = smoe_dot(d, A + i * d, off);
        solve(n, B, z);
        sum += smoe_dot(n, z, z);
    }
    *rc = sum / (double)T;                          /* RC = (1/T) sum_t |B^-1 A'(x_t - m)|^2   (L.9) */
    return smoe_all_finite(1, rc) ? SMOE_OK : SMOE_EOVRFLW;
}

/* --- L.10 --- */

size_t smoe_count_changes(size_t T, const size_t *a, const size_t *b)
{
    size_t changed = 0;
    /*@ loop invariant 0 <= t <= T && changed == changes(a, b, t) && changed <= t;
        loop assigns t, changed; loop variant T - t; */
    for (size_t t = 0; t < T; t++)
        if (a[t] != b[t]) changed++;
    return changed;
}

smoe_status smoe_fluctuation(size_t T, const size_t *a, const size_t *b, double *rate)
{
    if (T == 0) return SMOE_EINVAL;
    *rate = (double)smoe_count_changes(T, a, b) / (double)T;            /* (L.10) */
    return SMOE_OK;
}

/* --- L.11 --- */

bool smoe_distinct(size_t K, const size_t *a)
{
    /*@ loop invariant 0 <= j <= K;
        loop invariant \forall integer i, l; 0 <= i < j && i < l < K ==> a[i] != a[l];
        loop assigns j; loop variant K - j; */
    for (size_t j = 0; j < K; j++) {
        /*@ loop invariant j < l <= K;
            loop invariant \forall integer i; j < i < l ==> a[j] != a[i];
            loop assigns l; loop variant K - l; */
        for (size_t l = j + 1; l < K; l++)
            if (a[j] == a[l]) return false;
    }
    return true;
}

/*@ requires \valid_read(b + (0 .. K-1));
    assigns \nothing;
    ensures \result == member(b, K, i) && \result <= 1; */
static size_t is_in(size_t K, const size_t *b, size_t i)
{
    size_t found = 0;
    /*@ loop invariant 0 <= l <= K && found == member(b, l, i) && found <= 1;
        loop assigns l, found; loop variant K - l; */
    for (size_t l = 0; l < K; l++)
        if (b[l] == i) found = 1;
    return found;
}

size_t smoe_common(size_t K, const size_t *a, const size_t *b)
{
    size_t common = 0;
    /*@ loop invariant 0 <= j <= K && common == met(a, j, b, K) && common <= j;
        loop assigns j, common; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        common += is_in(K, b, a[j]);
    return common;
}

/*@ requires smoe_size(T*K) && \valid_read(a + (0 .. T*K-1)) && \valid_read(b + (0 .. T*K-1));
    assigns \nothing;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM;
    ensures \result == SMOE_EINVAL <==> T == 0 || K == 0; */
static smoe_status check_rows(size_t T, size_t K, const size_t *a, const size_t *b)
{
    if (T == 0 || K == 0) return SMOE_EINVAL;
    /*@ loop invariant 0 <= t <= T;
        loop assigns t; loop variant T - t; */
    for (size_t t = 0; t < T; t++) {
        //@ ghost row_is_inside(t, T, K);
        if (!smoe_distinct(K, a + t * K) || !smoe_distinct(K, b + t * K)) return SMOE_EDOM;
    }
    return SMOE_OK;
}

smoe_status smoe_change_sets(size_t T, size_t K, const size_t *a, const size_t *b, double *rate)
{
    smoe_status status = check_rows(T, K, a, b);
    if (status != SMOE_OK) return status;
    size_t changed = 0;
    /*@ loop invariant 0 <= t <= T && changed <= t;
        loop assigns t, changed; loop variant T - t; */
    for (size_t t = 0; t < T; t++) {
        //@ ghost row_is_inside(t, T, K);
        if (smoe_common(K, a + t * K, b + t * K) < K) changed++;
    }
    *rate = (double)changed / (double)T;                                /* (L.11), of sets */
    return SMOE_OK;
}

smoe_status smoe_change_jaccard(size_t T, size_t K, const size_t *a, const size_t *b, double *rate)
{
    smoe_status status = check_rows(T, K, a, b);
    if (status != SMOE_OK) return status;
    double sum = 0;
    /*@ loop invariant 0 <= t <= T;
        loop assigns t, sum; loop variant T - t; */
    for (size_t t = 0; t < T; t++) {
        //@ ghost row_is_inside(t, T, K);
        size_t common = smoe_common(K, a + t * K, b + t * K);
        sum += 1 - (double)common / (double)(2 * K - common);
    }
    *rate = sum / (double)T;                                            /* (L.11), of the Jaccard distance */
    return SMOE_OK;
}
