/* SimSMoE: spec/07-simsmoe.md. */
#include "simsmoe.h"

#include <math.h>

#include "balance.h"
#include "compete.h"

/*@ requires \valid_read(x + (0 .. n-1));
    assigns \nothing;
    ensures \result == SMOE_OK || \result == SMOE_EOVRFLW; */
static smoe_status finite_or_overflow(size_t n, const double *x)
{
    return smoe_all_finite(n, x) ? SMOE_OK : SMOE_EOVRFLW;
}

/*@ requires \valid(x + (0 .. n-1));
    assigns x[0 .. n-1]; */
static void zero(size_t n, double *x)
{
    /*@ loop invariant 0 <= k <= n;
        loop assigns k, x[0 .. n-1]; loop variant n - k; */
    for (size_t k = 0; k < n; k++)
        x[k] = 0;
}

/*@ requires \valid_read(x + (0 .. n-1)) && \valid(y + (0 .. n-1));
    assigns y[0 .. n-1];
    ensures \result == SMOE_OK || \result == SMOE_EOVRFLW; */
static smoe_status add(size_t n, const double *x, double *y)
{
    /*@ loop invariant 0 <= k <= n; loop assigns k, y[0 .. n-1]; loop variant n - k; */
    for (size_t k = 0; k < n; k++)
        y[k] += x[k];
    return finite_or_overflow(n, y);
}

/* --- S.1 --- */

smoe_status smoe_head_mlp(size_t n, size_t d, size_t g, size_t p, const double *o, const double *wh, const double *bh,
                          const double *wp, const double *bp, double *a, double *u, double *z)
{
    if (d == 0 || g == 0 || p == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(n * d, o) || !smoe_all_finite(g * d, wh) || !smoe_all_finite(g, bh) ||
        !smoe_all_finite(p * g, wp) || !smoe_all_finite(p, bp)) return SMOE_EDOM;
    smoe_matmul_nt(n, g, d, o, wh, a);
    smoe_add_bias(n, g, bh, a);                                         /* a = Wh o + bh */
    smoe_activate(SMOE_RELU, n * g, a, u);                              /* u = max(a, 0) */
    smoe_matmul_nt(n, p, g, u, wp, z);
    smoe_add_bias(n, p, bp, z);                                         /* z = Wp u + bp   (S.1) */
    return smoe_all_finite(n * g, a) && smoe_all_finite(n * p, z) ? SMOE_OK : SMOE_EOVRFLW;
}

/*@ requires smoe_size(n*d) && smoe_size(n*g) && smoe_size(n*p) && smoe_size(g*d) && smoe_size(p*g);
    requires \valid_read(o + (0 .. n*d-1)) && \valid_read(wh + (0 .. g*d-1)) && \valid_read(wp + (0 .. p*g-1));
    requires \valid_read(a + (0 .. n*g-1)) && \valid_read(u + (0 .. n*g-1)) && \valid_read(dz + (0 .. n*p-1));
    assigns \nothing;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM;
    ensures d == 0 || g == 0 || p == 0 <==> \result == SMOE_EINVAL; */
static smoe_status check_head_vjp(size_t n, size_t d, size_t g, size_t p, const double *o, const double *wh,
                                  const double *wp, const double *a, const double *u, const double *dz)
{
    if (d == 0 || g == 0 || p == 0) return SMOE_EINVAL;
    bool finite = smoe_all_finite(n * d, o) && smoe_all_finite(g * d, wh) && smoe_all_finite(p * g, wp) &&
                  smoe_all_finite(n * g, a) && smoe_all_finite(n * g, u) && smoe_all_finite(n * p, dz);
    return finite ? SMOE_OK : SMOE_EDOM;
}

smoe_status smoe_head_mlp_vjp(size_t n, size_t d, size_t g, size_t p, const double *o, const double *wh,
                              const double *wp, const double *a, const double *u, const double *dz, double *do_,
                              double *dwh, double *dbh, double *dwp, double *dbp, double *da)
{
    smoe_status status = check_head_vjp(n, d, g, p, o, wh, wp, a, u, dz);
    if (status != SMOE_OK) return status;
    zero(g * d, dwh);
    zero(g, dbh);
    zero(p * g, dwp);
    zero(p, dbp);
    return smoe_head_mlp_vjp_acc(n, d, g, p, o, wh, wp, a, u, dz, do_, dwh, dbh, dwp, dbp, da);
}

smoe_status smoe_head_mlp_vjp_acc(size_t n, size_t d, size_t g, size_t p, const double *o, const double *wh,
                                  const double *wp, const double *a, const double *u, const double *dz, double *do_,
                                  double *dwh, double *dbh, double *dwp, double *dbp, double *da)
{
    smoe_status status = check_head_vjp(n, d, g, p, o, wh, wp, a, u, dz);
    if (status != SMOE_OK) return status;
    smoe_bias_vjp_acc(n, p, dz, dbp);
    smoe_matmul_tn_acc(p, g, n, dz, u, dwp);                            /* dWp = sum_t dz_t u_t' */
    smoe_matmul_nn(n, g, p, dz, wp, da);                                /* du = Wp' dz, in the place of da */
    smoe_activate_vjp(SMOE_RELU, n * g, a, da, da);                     /* da = 1[a > 0] du */
    smoe_bias_vjp_acc(n, g, da, dbh);
    smoe_matmul_tn_acc(g, d, n, da, o, dwh);                            /* dWh = sum_t da_t o_t' */
    smoe_matmul_nn(n, d, g, da, wh, do_);                               /* do = Wh' da */
    bool finite = smoe_all_finite(n * d, do_) && smoe_all_finite(g * d, dwh) && smoe_all_finite(g, dbh) &&
                  smoe_all_finite(p * g, dwp) && smoe_all_finite(p, dbp); /* da is all in dbh */
    return finite ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_head_linear(size_t n, size_t d, size_t p, const double *o, const double *wp, const double *bp,
                             double *z)
{
    if (d == 0 || p == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(n * d, o) || !smoe_all_finite(p * d, wp) || !smoe_all_finite(p, bp)) return SMOE_EDOM;
    smoe_matmul_nt(n, p, d, o, wp, z);
    smoe_add_bias(n, p, bp, z);                                         /* z = Wp o + bp   (S.1a) */
    return finite_or_overflow(n * p, z);
}

/*@ requires smoe_size(n*d) && smoe_size(n*p) && smoe_size(p*d);
    requires \valid_read(o + (0 .. n*d-1)) && \valid_read(wp + (0 .. p*d-1)) && \valid_read(dz + (0 .. n*p-1));
    assigns \nothing;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM;
    ensures d == 0 || p == 0 <==> \result == SMOE_EINVAL; */
static smoe_status check_linear_vjp(size_t n, size_t d, size_t p, const double *o, const double *wp, const double *dz)
{
    if (d == 0 || p == 0) return SMOE_EINVAL;
    bool finite = smoe_all_finite(n * d, o) && smoe_all_finite(p * d, wp) && smoe_all_finite(n * p, dz);
    return finite ? SMOE_OK : SMOE_EDOM;
}

smoe_status smoe_head_linear_vjp(size_t n, size_t d, size_t p, const double *o, const double *wp, const double *dz,
                                 double *do_, double *dwp, double *dbp)
{
    smoe_status status = check_linear_vjp(n, d, p, o, wp, dz);
    if (status != SMOE_OK) return status;
    zero(p * d, dwp);
    zero(p, dbp);
    return smoe_head_linear_vjp_acc(n, d, p, o, wp, dz, do_, dwp, dbp);
}

smoe_status smoe_head_linear_vjp_acc(size_t n, size_t d, size_t p, const double *o, const double *wp, const double *dz,
                                     double *do_, double *dwp, double *dbp)
{
    smoe_status status = check_linear_vjp(n, d, p, o, wp, dz);
    if (status != SMOE_OK) return status;
    smoe_bias_vjp_acc(n, p, dz, dbp);
    smoe_matmul_tn_acc(p, d, n, dz, o, dwp);                            /* dWp = sum_t dz_t o_t' */
    smoe_matmul_nn(n, d, p, dz, wp, do_);                               /* do = Wp' dz */
    bool finite = smoe_all_finite(n * d, do_) && smoe_all_finite(p * d, dwp) && smoe_all_finite(p, dbp);
    return finite ? SMOE_OK : SMOE_EOVRFLW;
}

/* --- S.2 --- */

/*@ requires \valid_read(row + (0 .. K-1));
    assigns \nothing;
    ensures \result <==> smoe_taken(row, K, i); */
static bool has(size_t K, const size_t *row, size_t i)
{
    /*@ loop invariant 0 <= j <= K && !smoe_taken(row, j, i);
        loop assigns j; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        if (row[j] == i) return true;
    return false;
}

bool smoe_shares(size_t K, const size_t *row, size_t i, size_t j)
{
    return has(K, row, i) && has(K, row, j);
}

/* The experts of token t. */
/*@ requires smoe_size(T*K) && \valid_read(index + (0 .. T*K-1)) && t < T;
    assigns \nothing;
    ensures \result == index + t*K && \valid_read(\result + (0 .. K-1)); */
static const size_t *choices_of(size_t T, size_t K, const size_t *index, size_t t)
{
    (void)T; /* read by the contract alone */
    //@ assert t*K + K <= T*K;
    return index + t * K;
}

size_t smoe_pair_rows(size_t T, size_t K, const size_t *index, size_t i, size_t j, size_t *row)
{
    size_t n = 0;
    /*@ loop invariant 0 <= t <= T && 0 <= n <= t;
        loop invariant \forall integer k; 0 <= k < n ==> row[k] < t;
        loop invariant \forall integer k, l; 0 <= k < l < n ==> row[k] < row[l];
        loop assigns t, n, row[0 .. T-1]; loop variant T - t; */
    for (size_t t = 0; t < T; t++)
        if (smoe_shares(K, choices_of(T, K, index, t), i, j)) row[n++] = t;                 /* (S.4), rows of X_ij */
    return n;
}

/*@ requires smoe_size(T*K) && \valid_read(index + (0 .. T*K-1));
    assigns \nothing;
    ensures \result <= T && \result == smoe_shared(index, K, i, j, T); */
static size_t shared_by(size_t T, size_t K, const size_t *index, size_t i, size_t j)
{
    size_t n = 0;
    /*@ loop invariant 0 <= t <= T && 0 <= n <= t && n == smoe_shared(index, K, i, j, t);
        loop assigns t, n; loop variant T - t; */
    for (size_t t = 0; t < T; t++)
        if (smoe_shares(K, choices_of(T, K, index, t), i, j)) n++;      /* (S.2) */
    return n;
}

/* Row i of the matrix: 0 up to the diagonal, then what i shares with each j above it. */
/*@ predicate row_done{L}(size_t *row, integer T, integer N, integer K, size_t *index, integer i) =
      (\forall integer j; 0 <= j < N && j <= i ==> row[j] == 0) &&
      (\forall integer j; i < j < N ==> row[j] == smoe_shared(index, K, i, j, T)); */
/*@ requires smoe_size(T*K) && \valid_read(index + (0 .. T*K-1)) && \valid(row + (0 .. N-1));
    requires \separated(index + (0 .. T*K-1), row + (0 .. N-1));
    assigns row[0 .. N-1];
    ensures row_done(row, T, N, K, index, i); */
static void shared_with(size_t T, size_t N, size_t K, const size_t *index, size_t i, size_t *row)
{
    /*@ loop invariant 0 <= j <= N;
        loop invariant \forall integer l; 0 <= l < j && l <= i ==> row[l] == 0;
        loop invariant \forall integer l; i < l < j ==> row[l] == smoe_shared(index, K, i, l, T);
        loop assigns j, row[0 .. N-1]; loop variant N - j; */
    for (size_t j = 0; j < N; j++) {
        row[j] = i < j ? shared_by(T, K, index, i, j) : 0;
        //@ assert \forall integer a; 0 <= a < T*K ==> index[a] == \at(index[a], LoopCurrent);
        /*@ assert \forall integer l; smoe_shared(index, K, i, l, T) ==
              \at(smoe_shared(index, K, i, l, T), LoopCurrent); */
        //@ assert \forall integer l; i < l < j ==> row[l] == smoe_shared(index, K, i, l, T);
        //@ assert i < j ==> row[j] == smoe_shared(index, K, i, j, T);
    }
}

/*@ requires smoe_size(T*K) && \valid_read(index + (0 .. T*K-1));
    assigns \nothing;
    ensures \result ==> \forall integer a; 0 <= a < T*K ==> index[a] < N; */
static bool choices_make_sense(size_t T, size_t N, size_t K, const size_t *index)
{
    /*@ loop invariant 0 <= a <= T*K && \forall integer b; 0 <= b < a ==> index[b] < N;
        loop assigns a; loop variant T*K - a; */
    for (size_t a = 0; a < T * K; a++)
        if (index[a] >= N) return false;
    /*@ loop invariant 0 <= t <= T;
        loop assigns t; loop variant T - t; */
    for (size_t t = 0; t < T; t++)
        if (!smoe_distinct(K, choices_of(T, K, index, t))) return false;
    return true;
}

smoe_status smoe_shared_tokens(size_t T, size_t N, size_t K, const size_t *index, size_t *shared)
{
    if (K == 0 || K > N) return SMOE_EINVAL;
    if (!choices_make_sense(T, N, K, index)) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, shared[0 .. N*N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++) {
        //@ assert i*N + N <= N*N;
        shared_with(T, N, K, index, i, shared + i * N);                 /* (S.2) */
    }
    return SMOE_OK;
}

/* --- S.3 --- */

/*@ assigns \nothing;
    ensures \result <==> unit == SMOE_UNIT_TOKENS || unit == SMOE_UNIT_FRACTION; */
static bool unit_is_known(smoe_pair_unit unit)
{
    return unit == SMOE_UNIT_TOKENS || unit == SMOE_UNIT_FRACTION;
}

/*@ assigns \nothing;
    ensures \result <==> compare == SMOE_ABOVE || compare == SMOE_AT_LEAST; */
static bool compare_is_known(smoe_compare compare)
{
    return compare == SMOE_ABOVE || compare == SMOE_AT_LEAST;
}

/*@ assigns \nothing;
    ensures \result <==> absent == SMOE_ABSENT_KEEP || absent == SMOE_ABSENT_RESET; */
static bool absent_is_known(smoe_absent absent)
{
    return absent == SMOE_ABSENT_KEEP || absent == SMOE_ABSENT_RESET;
}

/*@ assigns \nothing; */
static bool passes(smoe_compare compare, double x, double bar)
{
    return compare == SMOE_ABOVE ? x > bar : x >= bar;
}

/* What `shared` of T tokens add to a counter. */
/*@ requires T > 0;
    assigns \nothing; */
static double share(smoe_pair_unit unit, size_t T, size_t shared)
{
    return unit == SMOE_UNIT_TOKENS ? (double)shared : (double)shared / (double)T;
}

/*@ requires smoe_size(N*N) && \valid_read(counter + (0 .. N*N-1));
    assigns \nothing; */
static bool counters_make_sense(size_t N, const double *counter)
{
    /*@ loop invariant 0 <= i <= N;
        loop assigns i; loop variant N - i; */
    for (size_t i = 0; i < N; i++) {
        //@ assert i*N + N <= N*N;
        /*@ loop invariant 0 <= j <= N;
            loop assigns j; loop variant N - j; */
        for (size_t j = 0; j < N; j++)
            if (i < j && !(smoe_all_finite(1, &counter[i * N + j]) && counter[i * N + j] >= 0)) return false;
    }
    return true;
}

/* (S.3), counter */
/*@ requires T > 0;
    assigns \nothing; */
static double counted(smoe_pair_unit unit, size_t T, size_t shared, double counter)
{
    return counter + share(unit, T, shared);
}

/* Row i of selected. */
/*@ requires T > 0 && \valid_read(shared + (0 .. N-1)) && \valid_read(counter + (0 .. N-1));
    requires \valid(selected + (0 .. N-1)) && \separated(shared + (0 .. N-1), selected + (0 .. N-1));
    requires \separated(counter + (0 .. N-1), selected + (0 .. N-1));
    assigns selected[0 .. N-1];
    ensures \forall integer j; 0 <= j < N ==> selected[j] <= 1;
    ensures \forall integer j; 0 <= j < N && j <= i ==> selected[j] == 0;
    ensures absent != SMOE_ABSENT_RESET ==> \forall integer j; 0 <= j < N && selected[j] == 1 ==> shared[j] > 0; */
static void select_pairs(smoe_pair_unit unit, smoe_compare compare, smoe_absent absent, double frequency, size_t T,
                         size_t N, size_t i, const size_t *shared, const double *counter, size_t *selected)
{
    /*@ loop invariant 0 <= j <= N;
        loop invariant \forall integer l; 0 <= l < j ==> selected[l] <= 1;
        loop invariant \forall integer l; 0 <= l < j && l <= i ==> selected[l] == 0;
        loop invariant absent != SMOE_ABSENT_RESET ==>
                         \forall integer l; 0 <= l < j && selected[l] == 1 ==> shared[l] > 0;
        loop assigns j, selected[0 .. N-1]; loop variant N - j; */
    for (size_t j = 0; j < N; j++) {
        bool here = absent == SMOE_ABSENT_RESET || shared[j] > 0;
        bool due = i < j && passes(compare, counted(unit, T, shared[j], counter[j]), frequency);
        selected[j] = here && due ? 1 : 0;                              /* (S.3), selection */
    }
}

/* Row i of next. */
/*@ requires T > 0 && \valid_read(shared + (0 .. N-1)) && \valid_read(counter + (0 .. N-1));
    requires \valid_read(selected + (0 .. N-1)) && \valid(next + (0 .. N-1));
    requires \separated(shared + (0 .. N-1), next + (0 .. N-1)) && \separated(counter + (0 .. N-1), next + (0 .. N-1));
    requires \separated(selected + (0 .. N-1), next + (0 .. N-1));
    assigns next[0 .. N-1]; */
static void count_pairs(smoe_pair_unit unit, size_t T, size_t N, size_t i, const size_t *shared, const double *counter,
                        const size_t *selected, double *next)
{
    /*@ loop invariant 0 <= j <= N;
        loop assigns j, next[0 .. N-1]; loop variant N - j; */
    for (size_t j = 0; j < N; j++) {
        next[j] = 0;                                                    /* (S.3), reset */
        if (i < j && selected[j] == 0) next[j] = counted(unit, T, shared[j], counter[j]);
    }
}

smoe_status smoe_pair_counters(smoe_pair_unit unit, smoe_compare compare, smoe_absent absent, double frequency,
                               size_t T, size_t N, const size_t *shared, const double *counter, double *next,
                               size_t *selected)
{
    if (T == 0 || N == 0 || !unit_is_known(unit) || !compare_is_known(compare) || !absent_is_known(absent))
        return SMOE_EINVAL;
    if (!smoe_all_finite(1, &frequency) || frequency < 0 || !counters_make_sense(N, counter)) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, next[0 .. N*N-1], selected[0 .. N*N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++) {
        //@ assert i*N + N <= N*N;
        select_pairs(unit, compare, absent, frequency, T, N, i, shared + i * N, counter + i * N, selected + i * N);
        count_pairs(unit, T, N, i, shared + i * N, counter + i * N, selected + i * N, next + i * N);
    }
    return SMOE_OK;
}

/* --- S.4 --- */

/*@ requires \valid_read(s);
    assigns \nothing; */
static bool shape_makes_sense(const smoe_simsmoe_shape *s)
{
    const smoe_layer_shape *l = &s->layer;
    bool sizes = l->d > 0 && l->h > 0 && l->K > 0 && l->K <= l->N && s->p > 0;
    bool phi = l->phi == SMOE_RELU || l->phi == SMOE_GELU || l->phi == SMOE_GELU_TANH;
    return sizes && phi && (s->head == SMOE_HEAD_LINEAR || (s->head == SMOE_HEAD_MLP && s->g > 0));
}

smoe_status smoe_represent(const smoe_simsmoe_shape *s, const smoe_simsmoe_in *in, size_t i, size_t n,
                           const double *X, const smoe_representation *out)
{
    size_t d = s->layer.d, h = s->layer.h;
    if (!shape_makes_sense(s) || i >= s->layer.N) return SMOE_EINVAL;
    //@ ghost row_is_inside(i, s->layer.N, h);
    //@ ghost row_is_inside(i, s->layer.N, d);
    //@ ghost row_is_inside(i, s->layer.N, h * d);
    //@ assert i*(h*d) + h*d <= s->layer.N*(h*d) && i*h + h <= s->layer.N*h && i*d + d <= s->layer.N*d;
    /*@ assert (size_t)(i*h*d) == i*h*d && (size_t)(i*d*h) == i*d*h && (size_t)(i*h) == i*h && (size_t)(i*d) == i*d; */
    /*@ assert \valid_read((in->w1 + i*h*d) + (0 .. h*d-1)) && \valid_read((in->w2 + i*d*h) + (0 .. d*h-1)); */
    /*@ assert smoe_product(n, h, d, X, in->w1 + i*h*d, out->a); */
    /*@ assert smoe_product(n, d, h, out->u, in->w2 + i*d*h, out->o); */
    smoe_status status = smoe_expert_mlp(s->layer.phi, n, d, h, X, in->w1 + i * h * d, in->b1 + i * h,
                                         in->w2 + i * d * h, in->b2 + i * d, out->a, out->u, out->o);
    if (status != SMOE_OK) return status;
    return s->head == SMOE_HEAD_MLP ? smoe_head_mlp(n, d, s->g, s->p, out->o, in->wh, in->bh, in->wp, in->bp, out->ha,
                                                    out->hu, out->z)
                                    : smoe_head_linear(n, d, s->p, out->o, in->wp, in->bp, out->z);     /* (S.4) */
}

smoe_status smoe_represent_vjp_acc(const smoe_simsmoe_shape *s, const smoe_simsmoe_in *in, size_t i, size_t n,
                                   const double *X, const smoe_representation *kept, const double *dz,
                                   const smoe_simsmoe_grad *grad, double *dX, double *work)
{
    size_t d = s->layer.d, h = s->layer.h;
    if (!shape_makes_sense(s) || i >= s->layer.N) return SMOE_EINVAL;
    double *do_ = work, *da = do_ + n * d, *dha = da + n * h;
    smoe_status status =
        s->head == SMOE_HEAD_MLP
            ? smoe_head_mlp_vjp_acc(n, d, s->g, s->p, kept->o, in->wh, in->wp, kept->ha, kept->hu, dz, do_, grad->wh,
                                    grad->bh, grad->wp, grad->bp, dha)
            : smoe_head_linear_vjp_acc(n, d, s->p, kept->o, in->wp, dz, do_, grad->wp, grad->bp);
    if (status != SMOE_OK) return status;
    return smoe_expert_mlp_vjp_acc(s->layer.phi, n, d, h, X, in->w1 + i * h * d, in->w2 + i * d * h, kept->a, kept->u,
                                   do_, dX, grad->w1 + i * h * d, grad->b1 + i * h, grad->w2 + i * d * h,
                                   grad->b2 + i * d, da);
}

/* --- S.5 --- */

/* What smoe_cka would refuse of any pair, asked before there is one. */
static smoe_status check_similarity(const smoe_similarity *how)
{
    bool known = (how->kernel == SMOE_KERNEL_LINEAR || how->kernel == SMOE_KERNEL_RBF) &&
                 (how->bandwidth == SMOE_BANDWIDTH_ABSOLUTE || how->bandwidth == SMOE_BANDWIDTH_MEDIAN) &&
                 (how->diagonal == SMOE_DIAGONAL_WITH || how->diagonal == SMOE_DIAGONAL_WITHOUT) &&
                 (how->middle == SMOE_MIDDLE_MEAN || how->middle == SMOE_MIDDLE_LOWER) &&
                 (how->median == SMOE_MEDIAN_DISTANCE || how->median == SMOE_MEDIAN_SQUARE) &&
                 (how->estimator == SMOE_HSIC_BIASED || how->estimator == SMOE_HSIC_UNBIASED ||
                  how->estimator == SMOE_HSIC_DEBIASED) &&
                 (how->route == SMOE_ROUTE_GRAM || how->route == SMOE_ROUTE_FEATURES);
    if (!known || (how->route == SMOE_ROUTE_FEATURES && how->kernel != SMOE_KERNEL_LINEAR)) return SMOE_EINVAL;
    double variance;
    return how->kernel == SMOE_KERNEL_LINEAR ? SMOE_OK : smoe_bandwidth_absolute(how->sigma, &variance);
}

static smoe_status check_options(const smoe_simsmoe_options *opt)
{
    bool known = compare_is_known(opt->compare) &&
                 (opt->reduce == SMOE_PAIRS_SUM || opt->reduce == SMOE_PAIRS_MEAN) &&
                 (opt->through_x == SMOE_X_DETACHED || opt->through_x == SMOE_X_ATTACHED);
    smoe_status status = check_similarity(&opt->similarity);
    if (!known || status == SMOE_EINVAL) return SMOE_EINVAL;
    return isfinite(opt->threshold) ? status : SMOE_EDOM;
}

static bool inputs_are_finite(const smoe_simsmoe_shape *s, const smoe_simsmoe_in *in)
{
    size_t T = s->layer.T, d = s->layer.d, h = s->layer.h, N = s->layer.N, m = s->head == SMOE_HEAD_MLP ? s->g : d;
    bool head = s->head == SMOE_HEAD_LINEAR || (smoe_all_finite(m * d, in->wh) && smoe_all_finite(m, in->bh));
    return head && smoe_all_finite(T * d, in->x) && smoe_all_finite(N * h * d, in->w1) &&
           smoe_all_finite(N * h, in->b1) && smoe_all_finite(N * d * h, in->w2) && smoe_all_finite(N * d, in->b2) &&
           smoe_all_finite(s->p * m, in->wp) && smoe_all_finite(s->p, in->bp);
}

/* Are the flags of all pairs 0 or 1?  Their number goes to *ones. */
static bool flags_make_sense(size_t N, const size_t *flag, size_t *ones)
{
    *ones = 0;
    for (size_t i = 0; i < N; i++)
        for (size_t j = i + 1; j < N; j++) {
            if (flag[i * N + j] > 1) return false;
            *ones += flag[i * N + j];
        }
    return true;
}

static smoe_status check_loss(const smoe_simsmoe_shape *s, const smoe_simsmoe_options *opt, const smoe_simsmoe_in *in,
                              const size_t *index, const size_t *selected, size_t *pairs)
{
    if (!shape_makes_sense(s)) return SMOE_EINVAL;
    smoe_status status = check_options(opt);
    if (status != SMOE_OK) return status;
    bool fine = inputs_are_finite(s, in) && choices_make_sense(s->layer.T, s->layer.N, s->layer.K, index) &&
                flags_make_sense(s->layer.N, selected, pairs);
    return fine ? SMOE_OK : SMOE_EDOM;
}

/* Room for one pair that shares all T tokens; a pair with fewer uses the start of each array. */
typedef struct {
    double *X, *dX;                     /* [T,d] the tokens, and their gradient through one expert */
    smoe_representation side[2];        /* of expert i, of expert j */
    double *dz[2];                      /* [T,p] */
    double *inner, *cka;                /* work of smoe_represent_vjp_acc, and of smoe_cka */
} pair_room;

static double *take(double **work, size_t n)
{
    double *start = *work;
    *work += n;
    return start;
}

/*@ requires \valid_read(s);
    assigns \nothing; */
static size_t head_width(const smoe_simsmoe_shape *s)
{
    return s->head == SMOE_HEAD_MLP ? s->g : 0;
}

static pair_room room_for_pairs(const smoe_simsmoe_shape *s, double *work)
{
    size_t T = s->layer.T, d = s->layer.d, h = s->layer.h, g = head_width(s), p = s->p;
    pair_room room;
    room.X = take(&work, T * d);
    room.dX = take(&work, T * d);
    for (int e = 0; e < 2; e++) {
        smoe_representation *z = &room.side[e];
        z->a = take(&work, T * h);
        z->u = take(&work, T * h);
        z->o = take(&work, T * d);
        z->ha = take(&work, T * g);
        z->hu = take(&work, T * g);
        z->z = take(&work, T * p);
        room.dz[e] = take(&work, T * p);
    }
    room.inner = take(&work, T * (d + h + g));
    room.cka = work;
    return room;
}

size_t smoe_similarity_loss_work(const smoe_simsmoe_shape *s, const smoe_simsmoe_options *opt)
{
    size_t T = s->layer.T, d = s->layer.d, h = s->layer.h, g = head_width(s), p = s->p;
    return T * (5 * d + 5 * h + 5 * g + 4 * p) + smoe_cka_work(&opt->similarity, T, p, p);
}

static size_t least_rows(smoe_estimator estimator)
{
    return estimator == SMOE_HSIC_BIASED ? 2 : 4;
}

/* Everything of a pair up to its CKA; n rows.  *compared says whether there is one. */
static smoe_status compare_pair(const smoe_simsmoe_shape *s, const smoe_simsmoe_options *opt,
                                const smoe_simsmoe_in *in, const size_t *index, size_t i, size_t j, size_t *row,
                                const pair_room *room, size_t *n, bool *compared, double *cka)
{
    size_t d = s->layer.d;
    *n = smoe_pair_rows(s->layer.T, s->layer.K, index, i, j, row);
    *cka = 0;
    *compared = *n >= least_rows(opt->similarity.estimator);
    if (!*compared) return SMOE_OK;
    for (size_t k = 0; k < *n; k++)
        for (size_t e = 0; e < d; e++)
            room->X[k * d + e] = in->x[row[k] * d + e];                 /* X_ij */
    smoe_status status = smoe_represent(s, in, i, *n, room->X, &room->side[0]);                         /* (S.4) */
    if (status == SMOE_OK) status = smoe_represent(s, in, j, *n, room->X, &room->side[1]);
    if (status != SMOE_OK) return status;
    status = smoe_cka(&opt->similarity, *n, s->p, room->side[0].z, s->p, room->side[1].z, room->cka, cka);
    if (status != SMOE_EDOM) return status;
    *compared = false;                                                  /* finite numbers: what fails is a variance */
    *cka = 0;
    return SMOE_OK;
}

smoe_status smoe_similarity_loss(const smoe_simsmoe_shape *shape, const smoe_simsmoe_options *opt,
                                 const smoe_simsmoe_in *in, const size_t *index, const size_t *selected, double *cka,
                                 size_t *active, double *loss, size_t *row, double *work)
{
    size_t N = shape->layer.N, pairs = 0, n;
    smoe_status status = check_loss(shape, opt, in, index, selected, &pairs);
    if (status != SMOE_OK) return status;
    const pair_room room = room_for_pairs(shape, work);
    double sum = 0;
    for (size_t i = 0; i < N; i++) {
        for (size_t j = 0; j < N; j++) {
            bool compared = false;
            double value = 0;
            if (i < j && selected[i * N + j] == 1)
                status = compare_pair(shape, opt, in, index, i, j, row, &room, &n, &compared, &value);
            if (status != SMOE_OK) return status;
            cka[i * N + j] = value;
            active[i * N + j] = compared && passes(opt->compare, value, opt->threshold) ? 1 : 0;
            if (active[i * N + j] == 1) sum += value;                   /* (S.5) */
        }
    }
    *loss = opt->reduce == SMOE_PAIRS_MEAN && pairs > 0 ? sum / (double)pairs : sum;
    return finite_or_overflow(1, loss);
}

/* Gradient of one active pair for the cotangent g of its CKA, added to what is there. */
static smoe_status pair_vjp(const smoe_simsmoe_shape *s, const smoe_simsmoe_options *opt, const smoe_simsmoe_in *in,
                            const size_t *index, size_t i, size_t j, double g, const smoe_simsmoe_grad *grad,
                            size_t *row, const pair_room *room)
{
    size_t d = s->layer.d, n, p = s->p;
    bool compared;
    double cka;
    smoe_status status = compare_pair(s, opt, in, index, i, j, row, room, &n, &compared, &cka);
    if (status == SMOE_OK && !compared) return SMOE_EDOM;
    if (status == SMOE_OK)
        status = smoe_cka_vjp(&opt->similarity, n, p, room->side[0].z, p, room->side[1].z, g, room->cka, room->dz[0],
                              room->dz[1]);
    for (int e = 0; e < 2 && status == SMOE_OK; e++) {
        status = smoe_represent_vjp_acc(s, in, e == 0 ? i : j, n, room->X, &room->side[e], room->dz[e], grad, room->dX,
                                        room->inner);
        if (opt->through_x == SMOE_X_DETACHED) continue;
        for (size_t k = 0; k < n && status == SMOE_OK; k++)
            status = add(d, room->dX + k * d, grad->x + row[k] * d);
    }
    return status;
}

/* The gradient of (S.5), added to what is there. */
static smoe_status similarity_vjp_acc(const smoe_simsmoe_shape *s, const smoe_simsmoe_options *opt,
                                      const smoe_simsmoe_in *in, const size_t *index, size_t pairs,
                                      const size_t *active, double dloss, const smoe_simsmoe_grad *grad, size_t *row,
                                      double *work)
{
    size_t N = s->layer.N;
    const double g = opt->reduce == SMOE_PAIRS_MEAN && pairs > 0 ? dloss / (double)pairs : dloss;
    const pair_room room = room_for_pairs(s, work);
    smoe_status status = SMOE_OK;
    for (size_t i = 0; i < N; i++)
        for (size_t j = i + 1; j < N && status == SMOE_OK; j++)
            if (active[i * N + j] == 1) status = pair_vjp(s, opt, in, index, i, j, g, grad, row, &room);
    return status;
}

static void zero_experts(const smoe_simsmoe_shape *s, const smoe_simsmoe_grad *grad)
{
    size_t d = s->layer.d, h = s->layer.h, N = s->layer.N;
    zero(s->layer.T * d, grad->x);
    zero(N * h * d, grad->w1);
    zero(N * h, grad->b1);
    zero(N * d * h, grad->w2);
    zero(N * d, grad->b2);
}

static void zero_head(const smoe_simsmoe_shape *s, const smoe_simsmoe_grad *grad)
{
    size_t d = s->layer.d, p = s->p;
    zero(p * (s->head == SMOE_HEAD_MLP ? s->g : d), grad->wp);
    zero(p, grad->bp);
    if (s->head == SMOE_HEAD_LINEAR) return;
    zero(s->g * d, grad->wh);
    zero(s->g, grad->bh);
}

smoe_status smoe_similarity_loss_vjp(const smoe_simsmoe_shape *shape, const smoe_simsmoe_options *opt,
                                     const smoe_simsmoe_in *in, const size_t *index, const size_t *selected,
                                     const size_t *active, double dloss, const smoe_simsmoe_grad *grad, size_t *row,
                                     double *work)
{
    size_t pairs = 0, ones;
    smoe_status status = check_loss(shape, opt, in, index, selected, &pairs);
    if (status != SMOE_OK) return status;
    if (!isfinite(dloss) || !flags_make_sense(shape->layer.N, active, &ones)) return SMOE_EDOM;
    zero_experts(shape, grad);
    zero_head(shape, grad);
    return similarity_vjp_acc(shape, opt, in, index, pairs, active, dloss, grad, row, work);
}

/* --- S.6 --- */

static smoe_status check_layer(const smoe_simsmoe_shape *s, const smoe_simsmoe_options *opt, const smoe_simsmoe_in *in,
                               const smoe_gated *gate)
{
    size_t T = s->layer.T, N = s->layer.N, K = s->layer.K;
    if (!shape_makes_sense(s) || T == 0 || !unit_is_known(opt->unit) || !compare_is_known(opt->due) ||
        !absent_is_known(opt->absent)) return SMOE_EINVAL;
    smoe_status status = check_options(opt);
    if (status != SMOE_OK) return status;
    bool numbers = isfinite(opt->frequency) && opt->frequency >= 0 && isfinite(opt->c_task) &&
                   isfinite(opt->c_balance) && isfinite(opt->c_similarity);
    bool fine = numbers && inputs_are_finite(s, in) && smoe_all_finite(T * N, gate->r) &&
                smoe_all_finite(T * K, gate->weight) && choices_make_sense(T, N, K, gate->index);
    return fine ? SMOE_OK : SMOE_EDOM;
}

/* y by (L.1), (L.2), (L.3). */
static smoe_status mixture(const smoe_layer_shape *s, const smoe_simsmoe_in *in, const smoe_gated *gate, double *y,
                           const smoe_layer_kept *kept)
{
    smoe_status status = smoe_dispatch(s->T * s->K, s->N, gate->index, kept->offset, kept->slot, kept->place);
    if (status == SMOE_OK)
        status = smoe_experts(s->phi, s->T, s->d, s->h, s->N, s->K, in->x, in->w1, in->b1, in->w2, in->b2,
                              kept->offset, kept->slot, kept->xs, kept->a, kept->u, kept->o);
    return status == SMOE_OK ? smoe_combine(s->T, s->d, s->K, gate->weight, kept->place, kept->o, y) : status;
}

/* (B.4) with all choices counted. */
static smoe_status balance(const smoe_layer_shape *s, const smoe_gated *gate, const smoe_simsmoe_kept *kept,
                           double *loss)
{
    smoe_status status = smoe_expert_load(s->T * s->K, s->N, gate->index, kept->count);
    if (status == SMOE_OK) status = smoe_load_fraction(s->T * s->K, s->N, kept->count, kept->f);
    if (status != SMOE_OK) return status;
    return smoe_balance_loss(1, s->T, s->N, gate->r, kept->f, kept->layer.p, kept->P, loss);
}

smoe_status smoe_simsmoe_layer(const smoe_simsmoe_shape *shape, const smoe_simsmoe_options *opt,
                               const smoe_simsmoe_in *in, const smoe_gated *gate, const double *counter,
                               const smoe_simsmoe_out *out, const smoe_simsmoe_kept *kept, double *work)
{
    const smoe_layer_shape *s = &shape->layer;
    smoe_status status = check_layer(shape, opt, in, gate);
    if (status != SMOE_OK) return status;
    if (!counters_make_sense(s->N, counter)) return SMOE_EDOM;
    status = mixture(s, in, gate, out->y, &kept->layer);
    if (status == SMOE_OK) status = balance(s, gate, kept, out->balance);
    if (status == SMOE_OK) status = smoe_shared_tokens(s->T, s->N, s->K, gate->index, out->shared);
    if (status == SMOE_OK)
        status = smoe_pair_counters(opt->unit, opt->due, opt->absent, opt->frequency, s->T, s->N, out->shared, counter,
                                    out->next, out->selected);
    if (status == SMOE_OK)
        status = smoe_similarity_loss(shape, opt, in, gate->index, out->selected, out->cka, out->active,
                                      out->similarity, kept->row, work);
    if (status != SMOE_OK) return status;
    *out->loss = opt->c_balance * *out->balance + opt->c_similarity * *out->similarity;                 /* (S.6) */
    return finite_or_overflow(1, out->loss);
}

size_t smoe_simsmoe_layer_vjp_work(const smoe_simsmoe_shape *shape, const smoe_simsmoe_options *opt)
{
    const smoe_layer_shape *s = &shape->layer;
    return s->T * s->K * (2 * s->d + s->h) + 2 * s->N + smoe_similarity_loss_work(shape, opt);
}

/* A term's total cotangent:  g = d_term + c_term d_loss. */
static double total(double term, double c, double loss)
{
    return term + c * loss;
}

/* What y owes to x, the experts and the weights.   work [T K (2 d + h)] */
static smoe_status mixture_vjp(const smoe_layer_shape *s, const smoe_simsmoe_in *in, const smoe_gated *gate,
                               const smoe_layer_kept *kept, const double *dy, const smoe_simsmoe_grad *grad,
                               double *work)
{
    size_t A = s->T * s->K;
    double *do_ = work, *dxs = do_ + A * s->d, *da = dxs + A * s->d;
    smoe_status status =
        smoe_combine_vjp(s->T, s->d, s->K, gate->weight, kept->place, kept->o, dy, do_, grad->weight);
    if (status != SMOE_OK) return status;
    return smoe_experts_vjp(s->phi, s->T, s->d, s->h, s->N, s->K, in->w1, in->w2, kept->offset, kept->place, kept->xs,
                            kept->a, kept->u, do_, grad->x, grad->w1, grad->b1, grad->w2, grad->b2, da, dxs);
}

smoe_status smoe_simsmoe_layer_vjp(const smoe_simsmoe_shape *shape, const smoe_simsmoe_options *opt,
                                   const smoe_simsmoe_in *in, const smoe_gated *gate, const smoe_simsmoe_out *out,
                                   const smoe_simsmoe_kept *kept, const smoe_simsmoe_cot *cot,
                                   const smoe_simsmoe_grad *grad, double *work)
{
    const smoe_layer_shape *s = &shape->layer;
    size_t A = s->T * s->K, pairs, ones;
    smoe_status status = check_layer(shape, opt, in, gate);
    if (status != SMOE_OK) return status;
    const double g[2] = {total(cot->balance, opt->c_balance, cot->loss),
                         total(cot->similarity, opt->c_similarity, cot->loss)};
    if (!smoe_all_finite(s->T * s->d, cot->y) || !isfinite(cot->loss) || !isfinite(cot->balance) ||
        !isfinite(cot->similarity) || !flags_make_sense(s->N, out->selected, &pairs) ||
        !flags_make_sense(s->N, out->active, &ones)) return SMOE_EDOM;
    if (!smoe_all_finite(2, g)) return SMOE_EOVRFLW;
    double *dP = work + A * (2 * s->d + s->h), *dp = dP + s->N, *rest = dp + s->N;
    zero(s->N, dP);                                                     /* nothing else reaches P */

    status = mixture_vjp(s, in, gate, &kept->layer, cot->y, grad, work);
    if (status == SMOE_OK)
        status = smoe_balance_loss_vjp(1, s->T, s->N, kept->f, kept->layer.p, g[0], dP, dp, grad->r);
    if (status != SMOE_OK) return status;
    zero_head(shape, grad);
    return similarity_vjp_acc(shape, opt, in, gate->index, pairs, out->active, g[1], grad, kept->row, rest);
}

smoe_status smoe_router(const smoe_layer_shape *s, const double *x, const double *wr, const double *br, double *r,
                        size_t *index, double *weight, double *margin, double *p)
{
    if (s->d == 0 || s->K == 0 || s->K > s->N) return SMOE_EINVAL;
    if (s->order != SMOE_TOPK_SOFTMAX && s->order != SMOE_SOFTMAX_TOPK && s->order != SMOE_SOFTMAX_TOPK_RENORM)
        return SMOE_EINVAL;
    smoe_status status = smoe_gate_linear(s->T, s->d, s->N, x, wr, br, r);                              /* (G.1) */
    return status == SMOE_OK ? smoe_gate_weights(s->order, s->T, s->N, s->K, r, index, weight, margin, p) : status;
}

smoe_status smoe_router_vjp(const smoe_layer_shape *s, const double *x, const double *wr, const size_t *index,
                            const double *weight, const double *p, const double *dr, const double *dweight,
                            const double *dx_experts, double *dx, double *dwr, double *dbr, double *work)
{
    size_t T = s->T, d = s->d, N = s->N;
    double *total_dr = work, *share_dx = total_dr + T * N, *row = share_dx + T * d;
    if (s->d == 0 || s->K == 0 || s->K > s->N) return SMOE_EINVAL;
    if (!smoe_all_finite(T * N, dr) || !smoe_all_finite(T * d, dx_experts)) return SMOE_EDOM;
    smoe_status status = smoe_gate_weights_vjp(s->order, T, N, s->K, index, weight, p, dweight, total_dr, row);
    if (status == SMOE_OK) status = add(T * N, dr, total_dr);
    if (status == SMOE_OK) status = smoe_gate_linear_vjp(T, d, N, x, wr, total_dr, share_dx, dwr, dbr);
    if (status != SMOE_OK) return status;
    /*@ loop invariant 0 <= k <= T*d; loop assigns k, dx[0 .. T*d-1]; loop variant T*d - k; */
    for (size_t k = 0; k < T * d; k++)
        dx[k] = dx_experts[k] + share_dx[k];
    return finite_or_overflow(T * d, dx);
}

/* --- S.7 --- */

smoe_status smoe_simsmoe_step(const smoe_simsmoe_shape *shape, const smoe_simsmoe_options *opt,
                              const smoe_simsmoe_in *in, const smoe_gated *gate, const double *counter,
                              const double *target, const smoe_simsmoe_out *out, double *task,
                              const smoe_simsmoe_kept *kept, double *work)
{
    size_t n = shape->layer.T * shape->layer.d;
    smoe_status status = check_layer(shape, opt, in, gate);
    if (status != SMOE_OK) return status;
    if (!smoe_all_finite(n, target)) return SMOE_EDOM;
    status = smoe_simsmoe_layer(shape, opt, in, gate, counter, out, kept, work);
    if (status == SMOE_OK) status = smoe_task_loss(n, out->y, target, task);                            /* (C.14) */
    if (status != SMOE_OK) return status;
    *out->loss =
        opt->c_task * *task + opt->c_balance * *out->balance + opt->c_similarity * *out->similarity;    /* (S.7) */
    return finite_or_overflow(1, out->loss);
}

smoe_status smoe_simsmoe_step_vjp(const smoe_simsmoe_shape *shape, const smoe_simsmoe_options *opt,
                                  const smoe_simsmoe_in *in, const smoe_gated *gate, const double *target,
                                  const smoe_simsmoe_out *out, const smoe_simsmoe_kept *kept,
                                  const smoe_simsmoe_cot *cot, double dtask, const smoe_simsmoe_grad *grad,
                                  double *work)
{
    size_t n = shape->layer.T * shape->layer.d;
    smoe_status status = check_layer(shape, opt, in, gate);
    if (status != SMOE_OK) return status;
    if (!isfinite(dtask) || !isfinite(cot->loss) || !smoe_all_finite(n, cot->y)) return SMOE_EDOM;
    const double g = total(dtask, opt->c_task, cot->loss);
    if (!smoe_all_finite(1, &g)) return SMOE_EOVRFLW;
    status = smoe_task_loss_vjp(n, out->y, target, g, work);
    if (status == SMOE_OK) status = add(n, cot->y, work);
    if (status != SMOE_OK) return status;
    const smoe_simsmoe_cot all = {work, cot->loss, cot->balance, cot->similarity};
    return smoe_simsmoe_layer_vjp(shape, opt, in, gate, out, kept, &all, grad, work + n);
}
