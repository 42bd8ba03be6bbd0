/* Competition: spec/05-compete.md. */
#include "compete.h"

#include <math.h>
#include <stdbool.h>

#ifdef __FRAMAC__
/*@ assigns \nothing; */
double fma(double x, double y, double z);
/*@ assigns \nothing;
    ensures x >= 0 ==> 0 <= \result <= x; */
double floor(double x);
#endif

/*@ requires \valid_read(x + (0 .. n-1));
    assigns \nothing;
    ensures \result == SMOE_OK || \result == SMOE_EOVRFLW; */
static smoe_status finite_or_overflow(size_t n, const double *x)
{
    return smoe_all_finite(n, x) ? SMOE_OK : SMOE_EOVRFLW;
}

/*@ requires \valid_read(index + (0 .. n-1));
    assigns \nothing;
    ensures \result <==> \forall integer a; 0 <= a < n ==> index[a] < N; */
static bool all_below(size_t n, const size_t *index, size_t N)
{
    /*@ loop invariant 0 <= a <= n && \forall integer b; 0 <= b < a ==> index[b] < N;
        loop assigns a; loop variant n - a; */
    for (size_t a = 0; a < n; a++)
        if (index[a] >= N) return false;
    return true;
}

/* --- C.1 --- */

typedef double scalar(double);

/*@ assigns \nothing; */
static double relu(double z)
{
    return z > 0 ? z : 0;
}

/*@ assigns \nothing; */
static double relu_deriv(double z)
{
    return z > 0;
}

/*@ predicate is_mean(scalar *phi) =
      phi == &smoe_softplus || phi == &relu || phi == &smoe_sigmoid || phi == &smoe_silu;
    predicate is_slope(scalar *phi) =
      phi == &smoe_softplus_deriv || phi == &relu_deriv || phi == &smoe_sigmoid_deriv || phi == &smoe_silu_deriv; */

/*@ requires is_mean(phi) && \valid_read(o + (0 .. d-1));
    assigns \nothing; */
static double mean_of(scalar *phi, size_t d, const double *o)
{
    double sum = 0;
    /*@ loop invariant 0 <= e <= d;
        loop assigns e, sum; loop variant d - e; */
    for (size_t e = 0; e < d; e++)
        /*@ calls smoe_softplus, relu, smoe_sigmoid, smoe_silu; */
        sum += phi(o[e]);
    return sum / (double)d;
}

/*@ requires is_mean(phi) && smoe_size(N*d) && \valid_read(o + (0 .. N*d-1)) && \valid(s + (0 .. N-1));
    requires \separated(o + (0 .. N*d-1), s + (0 .. N-1));
    assigns s[0 .. N-1];
    ensures N == 0 || d == 0 ==> \result == SMOE_EINVAL; */
static smoe_status mean_response(scalar *phi, size_t N, size_t d, const double *o, double *s)
{
    if (N == 0 || d == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(N * d, o)) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, s[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++) {
        /*@ assert i*d + d <= N*d; */
        s[i] = mean_of(phi, d, o + i * d);                              /* (C.1) (C.1b) (C.1c) (C.1d) */
    }
    return finite_or_overflow(N, s);
}

/*@ requires is_slope(deriv) && smoe_size(N*d) && \valid_read(o + (0 .. N*d-1)) && \valid_read(ds + (0 .. N-1));
    requires \valid(do_ + (0 .. N*d-1));
    requires \separated(o + (0 .. N*d-1), do_ + (0 .. N*d-1)) && \separated(ds + (0 .. N-1), do_ + (0 .. N*d-1));
    assigns do_[0 .. N*d-1];
    ensures N == 0 || d == 0 ==> \result == SMOE_EINVAL; */
static smoe_status mean_response_vjp(scalar *deriv, size_t N, size_t d, const double *o, const double *ds, double *do_)
{
    if (N == 0 || d == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(N * d, o) || !smoe_all_finite(N, ds)) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, do_[0 .. N*d-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++) {
        /*@ assert i*d + d <= N*d; */
        /*@ loop invariant 0 <= e <= d;
            loop assigns e, do_[0 .. N*d-1]; loop variant d - e; */
        for (size_t e = 0; e < d; e++)
            /*@ calls smoe_softplus_deriv, relu_deriv, smoe_sigmoid_deriv, smoe_silu_deriv; */
            do_[i * d + e] = ds[i] / (double)d * deriv(o[i * d + e]);   /* (C.1') */
    }
    return finite_or_overflow(N * d, do_);
}

smoe_status smoe_response_softplus(size_t N, size_t d, const double *o, double *s)
{
    return mean_response(smoe_softplus, N, d, o, s);
}

smoe_status smoe_response_softplus_vjp(size_t N, size_t d, const double *o, const double *ds, double *do_)
{
    return mean_response_vjp(smoe_softplus_deriv, N, d, o, ds, do_);
}

smoe_status smoe_response_norm(size_t N, size_t d, const double *o, double *s)
{
    if (N == 0 || d == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(N * d, o)) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, s[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++) {
        /*@ assert i*d + d <= N*d; */
        smoe_status status = smoe_norm(d, o + i * d, &s[i]);            /* (C.1a) */
        if (status != SMOE_OK) return status;
    }
    return SMOE_OK;
}

smoe_status smoe_response_norm_vjp(size_t N, size_t d, const double *o, const double *s, const double *ds,
                                   double *do_)
{
    if (N == 0 || d == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(N * d, o) || !smoe_all_finite(N, s) || !smoe_all_finite(N, ds)) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        if (s[i] < 0) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, do_[0 .. N*d-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++) {
        /*@ assert i*d + d <= N*d; */
        smoe_status status = smoe_norm_vjp(d, o + i * d, s[i], ds[i], do_ + i * d);
        if (status != SMOE_OK) return status;
    }
    return SMOE_OK;
}

smoe_status smoe_response_relu(size_t N, size_t d, const double *o, double *s)
{
    return mean_response(relu, N, d, o, s);
}

smoe_status smoe_response_relu_vjp(size_t N, size_t d, const double *o, const double *ds, double *do_)
{
    return mean_response_vjp(relu_deriv, N, d, o, ds, do_);
}

smoe_status smoe_response_sigmoid(size_t N, size_t d, const double *o, double *s)
{
    return mean_response(smoe_sigmoid, N, d, o, s);
}

smoe_status smoe_response_sigmoid_vjp(size_t N, size_t d, const double *o, const double *ds, double *do_)
{
    return mean_response_vjp(smoe_sigmoid_deriv, N, d, o, ds, do_);
}

smoe_status smoe_response_silu(size_t N, size_t d, const double *o, double *s)
{
    return mean_response(smoe_silu, N, d, o, s);
}

smoe_status smoe_response_silu_vjp(size_t N, size_t d, const double *o, const double *ds, double *do_)
{
    return mean_response_vjp(smoe_silu_deriv, N, d, o, ds, do_);
}

/* --- C.2 --- */

smoe_status smoe_compete_weights(size_t K, const double *value, double *weight)
{
    if (K == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(K, value)) return SMOE_EDOM;
    double sum = smoe_sum(K, value);
    if (!(sum > 0)) return SMOE_EDOM;
    if (!smoe_all_finite(1, &sum)) return SMOE_EOVRFLW;
    /*@ loop invariant 0 <= j <= K;
        loop assigns j, weight[0 .. K-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        weight[j] = value[j] / sum;                                     /* (C.2) */
    return finite_or_overflow(K, weight);
}

smoe_status smoe_compete_weights_vjp(size_t K, const double *value, const double *weight, const double *dweight,
                                     double *dvalue)
{
    if (K == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(K, value) || !smoe_all_finite(K, weight) || !smoe_all_finite(K, dweight)) return SMOE_EDOM;
    double sum = smoe_sum(K, value);
    if (!(sum > 0)) return SMOE_EDOM;
    double mean = smoe_dot(K, weight, dweight);
    /*@ loop invariant 0 <= j <= K;
        loop assigns j, dvalue[0 .. K-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        dvalue[j] = (dweight[j] - mean) / sum;                          /* (C.2') */
    return smoe_all_finite(1, &sum) && smoe_all_finite(K, dvalue) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_compete_weights_v1(size_t K, const double *value, double *weight)
{
    return smoe_softmax(K, value, weight);                              /* (C.2), version 1 */
}

smoe_status smoe_compete_weights_v1_vjp(size_t K, const double *weight, const double *dweight, double *dvalue)
{
    return smoe_softmax_vjp(K, weight, dweight, dvalue);
}

/*@ requires \valid_read(value + (0 .. K-1)) && \valid(v + (0 .. K-1));
    requires \separated(value + (0 .. K-1), v + (0 .. K-1));
    assigns v[0 .. K-1]; */
static void squash(size_t K, const double *value, double *v)
{
    /*@ loop invariant 0 <= j <= K;
        loop assigns j, v[0 .. K-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        v[j] = smoe_sigmoid(value[j]);
}

smoe_status smoe_compete_weights_sigmoid(size_t K, const double *value, double *weight, double *v)
{
    if (K == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(K, value)) return SMOE_EDOM;
    squash(K, value, v);
    return smoe_compete_weights(K, v, weight);                          /* (C.2) of sigmoid(s) */
}

smoe_status smoe_compete_weights_sigmoid_vjp(size_t K, const double *value, const double *weight,
                                             const double *dweight, double *dvalue, double *v)
{
    if (K == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(K, value)) return SMOE_EDOM;
    squash(K, value, v);
    smoe_status status = smoe_compete_weights_vjp(K, v, weight, dweight, dvalue);
    if (status != SMOE_OK) return status;
    /*@ loop invariant 0 <= j <= K;
        loop assigns j, dvalue[0 .. K-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        dvalue[j] *= smoe_sigmoid_deriv(value[j]);
    return finite_or_overflow(K, dvalue);
}

/* --- C.3 --- */

smoe_status smoe_compete_combine(size_t N, size_t K, size_t d, const size_t *index, const double *weight,
                                 const double *o, double *y)
{
    if (K == 0 || K > N || d == 0) return SMOE_EINVAL;
    if (!all_below(K, index, N) || !smoe_all_finite(K, weight) || !smoe_all_finite(N * d, o)) return SMOE_EDOM;
    /*@ loop invariant 0 <= e <= d;
        loop assigns e, y[0 .. d-1]; loop variant d - e; */
    for (size_t e = 0; e < d; e++)
        y[e] = 0;
    /*@ loop invariant 0 <= j <= K;
        loop assigns j, y[0 .. d-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++) {
        /*@ assert index[j] < N; */
        /*@ assert index[j]*d + d <= N*d; */
        smoe_axpy(d, weight[j], o + index[j] * d, y);                   /* (C.3) */
    }
    return finite_or_overflow(d, y);
}

smoe_status smoe_compete_combine_vjp(size_t N, size_t K, size_t d, const size_t *index, const double *weight,
                                     const double *o, const double *dy, double *dweight, double *do_)
{
    if (K == 0 || K > N || d == 0) return SMOE_EINVAL;
    if (!all_below(K, index, N) || !smoe_all_finite(K, weight) || !smoe_all_finite(N * d, o)) return SMOE_EDOM;
    if (!smoe_all_finite(d, dy)) return SMOE_EDOM;
    /*@ loop invariant 0 <= k <= N*d;
        loop assigns k, do_[0 .. N*d-1]; loop variant N*d - k; */
    for (size_t k = 0; k < N * d; k++)
        do_[k] = 0;
    /*@ loop invariant 0 <= j <= K;
        loop assigns j, dweight[0 .. K-1], do_[0 .. N*d-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++) {
        const size_t i = index[j];
        /*@ assert i < N; */
        /*@ assert i*d + d <= N*d; */
        dweight[j] = smoe_dot(d, dy, o + i * d);                        /* (C.3'), weight */
        /*@ loop invariant 0 <= e <= d;
            loop assigns e, do_[0 .. N*d-1]; loop variant d - e; */
        for (size_t e = 0; e < d; e++)
            do_[i * d + e] = weight[j] * dy[e];                         /* (C.3'), outputs */
    }
    return smoe_all_finite(K, dweight) && smoe_all_finite(N * d, do_) ? SMOE_OK : SMOE_EOVRFLW;
}

/* Is there a token whose responses are all 0?  Asked before anything is written. */
/*@ requires smoe_size(T*N) && smoe_size(T*N*d) && \valid_read(o + (0 .. T*N*d-1));
    assigns \nothing; */
static bool someone_is_silent(size_t T, size_t N, size_t d, const double *o)
{
    /*@ loop invariant 0 <= t <= T; loop assigns t; loop variant T - t; */
    for (size_t t = 0; t < T; t++) {
        size_t i = 0;
        /*@ assert t*N + N <= T*N && t*(N*d) + N*d <= T*(N*d); */
        /*@ loop invariant 0 <= i <= N;
            loop invariant i < N ==> i*d + d <= N*d;
            loop invariant i < N ==> (t*N + i)*d + d <= T*N*d;
            loop assigns i; loop variant N - i; */
        while (i < N && !(mean_of(smoe_softplus, d, o + (t * N + i) * d) > 0))
            i++;
        if (i == N) return true;
    }
    return false;
}

/*@ requires smoe_size(T*N*d) && smoe_size(T*N) && \valid_read(o + (0 .. T*N*d-1));
    assigns \nothing;
    ensures K == 0 || K > N || d == 0 ==> \result == SMOE_EINVAL;
    ensures \result == SMOE_OK ==> 0 < K <= N && d > 0;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM; */
static smoe_status check_route(size_t T, size_t N, size_t K, size_t d, const double *o)
{
    if (K == 0 || K > N || d == 0) return SMOE_EINVAL;
    return smoe_all_finite(T * N * d, o) ? SMOE_OK : SMOE_EDOM;
}

smoe_status smoe_route(size_t T, size_t N, size_t K, size_t d, const double *o, double *s, size_t *index,
                       double *weight, double *margin, double *y, double *value)
{
    smoe_status status = check_route(T, N, K, d, o);
    if (status == SMOE_OK && someone_is_silent(T, N, d, o)) status = SMOE_EDOM;
    /*@ loop invariant 0 <= t <= T;
        loop invariant K == 0 || K > N || d == 0 ==> status == SMOE_EINVAL;
        loop assigns t, status, s[0 .. T*N-1], index[0 .. T*K-1], weight[0 .. T*K-1], margin[0 .. T-1], y[0 .. T*d-1],
                     value[0 .. K-1];
        loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        //@ ghost row_is_inside(t, T, N);
        //@ ghost row_is_inside(t, T, K);
        /*@ assert t*d + d <= T*d; */
        /*@ assert t*(N*d) + N*d <= T*(N*d); */
        /*@ assert (size_t)(t*N) == t*N && (size_t)(t*K) == t*K && (size_t)(t*d) == t*d; */
        const double *ot = o + t * N * d;
        /*@ assert ot == o + t*N*d; */
        status = smoe_response_softplus(N, d, ot, s + t * N);                                           /* (C.1) */
        if (status == SMOE_OK) status = smoe_topk(N, K, s + t * N, index + t * K, value, &margin[t]);
        if (status == SMOE_OK) status = smoe_compete_weights(K, value, weight + t * K);                 /* (C.2) */
        if (status == SMOE_OK)
            status = smoe_compete_combine(N, K, d, index + t * K, weight + t * K, ot, y + t * d);       /* (C.3) */
    }
    return status;
}

smoe_status smoe_route_v1(size_t T, size_t N, size_t K, size_t d, const double *o, double *s, size_t *index,
                          double *weight, double *margin, double *y, double *value)
{
    smoe_status status = check_route(T, N, K, d, o);
    /*@ loop invariant 0 <= t <= T;
        loop invariant K == 0 || K > N || d == 0 ==> status == SMOE_EINVAL;
        loop assigns t, status, s[0 .. T*N-1], index[0 .. T*K-1], weight[0 .. T*K-1], margin[0 .. T-1], y[0 .. T*d-1],
                     value[0 .. K-1];
        loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        /*@ assert t*N + N <= T*N && t*K + K <= T*K; */
        /*@ assert t*d + d <= T*d; */
        /*@ assert t*(N*d) + N*d <= T*(N*d); */
        /*@ assert (size_t)(t*N) == t*N && (size_t)(t*K) == t*K && (size_t)(t*d) == t*d; */
        const double *ot = o + t * N * d;
        /*@ assert ot == o + t*N*d; */
        status = smoe_response_norm(N, d, ot, s + t * N);                                               /* (C.1a) */
        if (status == SMOE_OK) status = smoe_topk(N, K, s + t * N, index + t * K, value, &margin[t]);
        if (status == SMOE_OK) status = smoe_compete_weights_v1(K, value, weight + t * K);    /* (C.2), version 1 */
        if (status == SMOE_OK)
            status = smoe_compete_combine(N, K, d, index + t * K, weight + t * K, ot, y + t * d);       /* (C.3) */
    }
    return status;
}

/*@ requires smoe_size(T*N*d) && smoe_size(T*N) && smoe_size(T*K) && smoe_size(T*d);
    requires \valid_read(o + (0 .. T*N*d-1)) && \valid_read(s + (0 .. T*N-1)) && \valid_read(ds + (0 .. T*N-1));
    requires \valid_read(index + (0 .. T*K-1)) && \valid_read(weight + (0 .. T*K-1));
    requires \valid_read(dy + (0 .. T*d-1)) && \valid_read(dweight + (0 .. T*K-1));
    assigns \nothing;
    ensures K == 0 || K > N || d == 0 ==> \result == SMOE_EINVAL;
    ensures \result == SMOE_OK ==> 0 < K <= N && \forall integer a; 0 <= a < T*K ==> index[a] < N; */
static smoe_status check_route_vjp(size_t T, size_t N, size_t K, size_t d, const double *o, const double *s,
                                   const size_t *index, const double *weight, const double *dy, const double *dweight,
                                   const double *ds)
{
    smoe_status status = check_route(T, N, K, d, o);
    if (status != SMOE_OK) return status;
    if (!all_below(T * K, index, N)) return SMOE_EDOM;
    bool finite = smoe_all_finite(T * N, s) && smoe_all_finite(T * K, weight) && smoe_all_finite(T * d, dy) &&
                  smoe_all_finite(T * K, dweight) && smoe_all_finite(T * N, ds);
    return finite ? SMOE_OK : SMOE_EDOM;
}

/* Is there a token whose winners have no response to share?  Asked before anything but value [K] is written. */
/*@ requires smoe_size(T*N) && smoe_size(T*K) && \valid_read(s + (0 .. T*N-1)) && \valid_read(index + (0 .. T*K-1));
    requires \valid(value + (0 .. K-1)) && \separated(index + (0 .. T*K-1), value + (0 .. K-1));
    requires \forall integer a; 0 <= a < T*K ==> index[a] < N;
    assigns value[0 .. K-1]; */
static bool someone_shares_nothing(size_t T, size_t N, size_t K, const double *s, const size_t *index, double *value)
{
    /*@ loop invariant 0 <= t <= T; loop assigns t, value[0 .. K-1]; loop variant T - t; */
    for (size_t t = 0; t < T; t++) {
        /*@ assert t*N + N <= T*N && t*K + K <= T*K; */
        /*@ loop invariant 0 <= j <= K; loop assigns j, value[0 .. K-1]; loop variant K - j; */
        for (size_t j = 0; j < K; j++)
            /*@ assert index[t*K + j] < N; */
            value[j] = s[t * N + index[t * K + j]];
        if (!(smoe_sum(K, value) > 0)) return true;
    }
    return false;
}

/* Is there a response below 0, which no norm is? */
/*@ requires \valid_read(s + (0 .. n-1));
    assigns \nothing; */
static bool some_below_zero(size_t n, const double *s)
{
    /*@ loop invariant 0 <= a <= n; loop assigns a; loop variant n - a; */
    for (size_t a = 0; a < n; a++)
        if (s[a] < 0) return true;
    return false;
}

/* The part of a token's gradient that both versions share: do_ by (C.3), and the total gradient dw of its weights. */
/*@ requires smoe_size(N*d) && \valid_read(index + (0 .. K-1)) && \valid_read(weight + (0 .. K-1));
    requires \valid_read(o + (0 .. N*d-1)) && \valid_read(dy + (0 .. d-1)) && \valid_read(dweight + (0 .. K-1));
    requires \valid(dw + (0 .. K-1)) && \valid(do_ + (0 .. N*d-1));
    requires \separated(index + (0 .. K-1), dw + (0 .. K-1), do_ + (0 .. N*d-1));
    requires \separated(weight + (0 .. K-1), dw + (0 .. K-1), do_ + (0 .. N*d-1));
    requires \separated(o + (0 .. N*d-1), dw + (0 .. K-1), do_ + (0 .. N*d-1));
    requires \separated(dy + (0 .. d-1), dw + (0 .. K-1), do_ + (0 .. N*d-1));
    assigns dw[0 .. K-1], do_[0 .. N*d-1]; */
static smoe_status weights_total(size_t N, size_t K, size_t d, const size_t *index, const double *weight,
                                 const double *o, const double *dy, const double *dweight, double *dw, double *do_)
{
    smoe_status status = smoe_compete_combine_vjp(N, K, d, index, weight, o, dy, dw, do_);
    if (status != SMOE_OK) return status;
    /*@ loop invariant 0 <= j <= K; loop assigns j, dw[0 .. K-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        dw[j] = dweight[j] + dw[j];
    return finite_or_overflow(K, dw);
}

/* total ds = ds + dvalue at the winners. */
/*@ requires \valid_read(index + (0 .. K-1)) && \valid_read(ds + (0 .. N-1)) && \valid_read(dvalue + (0 .. K-1));
    requires \valid(total + (0 .. N-1)) && \separated(index + (0 .. K-1), total + (0 .. N-1));
    requires \forall integer j; 0 <= j < K ==> index[j] < N;
    assigns total[0 .. N-1]; */
static smoe_status responses_total(size_t N, size_t K, const size_t *index, const double *ds, const double *dvalue,
                                   double *total)
{
    /*@ loop invariant 0 <= i <= N; loop assigns i, total[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        total[i] = ds[i];
    /*@ loop invariant 0 <= j <= K; loop assigns j, total[0 .. N-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        total[index[j]] += dvalue[j];
    return finite_or_overflow(N, total);
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

smoe_status smoe_route_vjp(size_t T, size_t N, size_t K, size_t d, const double *o, const double *s,
                           const size_t *index, const double *weight, const double *dy, const double *dweight,
                           const double *ds, double *do_, double *work)
{
    smoe_status status = check_route_vjp(T, N, K, d, o, s, index, weight, dy, dweight, ds);
    double *through_s = work, *total = work + N * d, *dw = total + N, *dvalue = dw + K, *value = dvalue + K;
    if (status == SMOE_OK && someone_shares_nothing(T, N, K, s, index, value)) status = SMOE_EDOM;
    /*@ assert (size_t)(N*d) == N*d && T*(N*d) == T*N*d && (size_t)(T*N) == T*N; */
    /*@ assert total == work + N*d && dw == work + (N*d + N) && dvalue == work + (N*d + N + K); */
    /*@ loop invariant 0 <= t <= T;
        loop invariant K == 0 || K > N || d == 0 ==> status == SMOE_EINVAL;
        loop invariant status == SMOE_OK ==> \forall integer a; 0 <= a < T*K ==> index[a] < N;
        loop assigns t, status, do_[0 .. T*N*d-1], work[0 .. N*d+N+3*K-1]; loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        //@ ghost row_is_inside(t, T, N);
        //@ ghost row_is_inside(t, T, K);
        //@ ghost row_is_inside(t, T, d);
        //@ ghost row_is_inside(t, T, N * d);
        /*@ assert t*N*d == t*(N*d) && (size_t)(t*N) == t*N && (size_t)(t*N*d) == t*N*d; */
        /*@ assert (size_t)(t*K) == t*K && (size_t)(t*d) == t*d; */
        const double *ot = o + t * N * d, *st = s + t * N, *wt = weight + t * K;
        const size_t *It = index + t * K;
        status = weights_total(N, K, d, It, wt, ot, dy + t * d, dweight + t * K, dw, do_ + t * N * d);
        /*@ loop invariant 0 <= j <= K;
            loop assigns j, value[0 .. K-1]; loop variant K - j; */
        for (size_t j = 0; j < K; j++)
            //@ assert index[t*K + j] < N;
            value[j] = st[It[j]];
        if (status == SMOE_OK) status = smoe_compete_weights_vjp(K, value, wt, dw, dvalue);
        if (status == SMOE_OK) status = responses_total(N, K, It, ds + t * N, dvalue, total);
        if (status == SMOE_OK) status = smoe_response_softplus_vjp(N, d, ot, total, through_s);
        if (status == SMOE_OK) status = add(N * d, through_s, do_ + t * N * d);
    }
    return status;
}

smoe_status smoe_route_v1_vjp(size_t T, size_t N, size_t K, size_t d, const double *o, const double *s,
                              const size_t *index, const double *weight, const double *dy, const double *dweight,
                              const double *ds, double *do_, double *work)
{
    smoe_status status = check_route_vjp(T, N, K, d, o, s, index, weight, dy, dweight, ds);
    double *through_s = work, *total = work + N * d, *dw = total + N, *dvalue = dw + K;
    if (status == SMOE_OK && some_below_zero(T * N, s)) status = SMOE_EDOM;
    /*@ assert (size_t)(N*d) == N*d && T*(N*d) == T*N*d && (size_t)(T*N) == T*N; */
    /*@ assert total == work + N*d && dw == work + (N*d + N) && dvalue == work + (N*d + N + K); */
    /*@ loop invariant 0 <= t <= T;
        loop invariant K == 0 || K > N || d == 0 ==> status == SMOE_EINVAL;
        loop invariant status == SMOE_OK ==> \forall integer a; 0 <= a < T*K ==> index[a] < N;
        loop assigns t, status, do_[0 .. T*N*d-1], work[0 .. N*d+N+3*K-1]; loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        //@ ghost row_is_inside(t, T, N);
        //@ ghost row_is_inside(t, T, K);
        //@ ghost row_is_inside(t, T, d);
        //@ ghost row_is_inside(t, T, N * d);
        /*@ assert t*N*d == t*(N*d) && (size_t)(t*N) == t*N && (size_t)(t*N*d) == t*N*d; */
        /*@ assert (size_t)(t*K) == t*K && (size_t)(t*d) == t*d; */
        const double *ot = o + t * N * d, *st = s + t * N, *wt = weight + t * K;
        const size_t *It = index + t * K;
        status = weights_total(N, K, d, It, wt, ot, dy + t * d, dweight + t * K, dw, do_ + t * N * d);
        if (status == SMOE_OK) status = smoe_compete_weights_v1_vjp(K, wt, dw, dvalue);
        if (status == SMOE_OK) status = responses_total(N, K, It, ds + t * N, dvalue, total);
        if (status == SMOE_OK) status = smoe_response_norm_vjp(N, d, ot, st, total, through_s);
        if (status == SMOE_OK) status = add(N * d, through_s, do_ + t * N * d);
    }
    return status;
}

/* --- C.4, C.5 --- */

/*@ requires smoe_size(T*N) && smoe_size(T*K) && \valid_read(p + (0 .. T*N-1)) && \valid_read(q + (0 .. T*N-1));
    requires \valid_read(index + (0 .. T*K-1));
    assigns \nothing;
    ensures T == 0 || K == 0 || K > N ==> \result == SMOE_EINVAL;
    ensures \result == SMOE_OK ==> T > 0 && 0 < K <= N && \forall integer a; 0 <= a < T*K ==> index[a] < N; */
static smoe_status check_distill(size_t T, size_t N, size_t K, double theta, const double *p, const double *q,
                                 const size_t *index)
{
    if (T == 0 || K == 0 || K > N) return SMOE_EINVAL;
    if (!isfinite(theta) || !smoe_all_finite(T * N, p) || !smoe_all_finite(T * N, q)) return SMOE_EDOM;
    return all_below(T * K, index, N) ? SMOE_OK : SMOE_EDOM;
}

smoe_status smoe_distill_loss(size_t T, size_t N, size_t K, double theta, const double *p, const double *q,
                              const size_t *index, double *loss)
{
    smoe_status status = check_distill(T, N, K, theta, p, q, index);
    if (status != SMOE_OK) return status;
    double all = 0, winners = 0;
    /*@ loop invariant 0 <= t <= T;
        loop assigns t, all; loop variant T - t; */
    for (size_t t = 0; t < T; t++) {
        /*@ assert t*N + N <= T*N; */
        /*@ loop invariant 0 <= i <= N;
            loop assigns i, all; loop variant N - i; */
        for (size_t i = 0; i < N; i++) {
            double delta = p[t * N + i] - q[t * N + i];
            all = fma(delta, delta, all);
        }
    }
    /*@ loop invariant 0 <= t <= T;
        loop assigns t, winners; loop variant T - t; */
    for (size_t t = 0; t < T; t++) {
        /*@ assert t*N + N <= T*N && t*K + K <= T*K; */
        /*@ loop invariant 0 <= j <= K;
            loop assigns j, winners; loop variant K - j; */
        for (size_t j = 0; j < K; j++) {
            size_t i = index[t * K + j];
            /*@ assert i < N; */
            double delta = p[t * N + i] - q[t * N + i];
            winners = fma(delta, delta, winners);
        }
    }
    *loss = all / (double)(T * N) + theta * (winners / (double)(T * K));                                /* (C.5) */
    return finite_or_overflow(1, loss);
}

smoe_status smoe_distill_winners_loss(size_t T, size_t N, size_t K, double theta, const double *p, const double *q,
                                      const size_t *index, double *loss)
{
    smoe_status status = check_distill(T, N, K, theta, p, q, index);
    if (status != SMOE_OK) return status;
    double winners = 0;
    /*@ loop invariant 0 <= t <= T;
        loop assigns t, winners; loop variant T - t; */
    for (size_t t = 0; t < T; t++) {
        /*@ assert t*N + N <= T*N && t*K + K <= T*K; */
        /*@ loop invariant 0 <= j <= K;
            loop assigns j, winners; loop variant K - j; */
        for (size_t j = 0; j < K; j++) {
            size_t i = index[t * K + j];
            /*@ assert i < N; */
            double delta = p[t * N + i] - q[t * N + i];
            winners = fma(delta, delta, winners);
        }
    }
    *loss = theta * (winners / (double)(T * K));                        /* (C.5), second term */
    return finite_or_overflow(1, loss);
}

/* (C.5') for one token, with  c = 2 dloss/(T N)  and  c_winner = 2 dloss theta/(T K). */
/*@ requires \valid_read(p + (0 .. N-1)) && \valid_read(q + (0 .. N-1)) && \valid_read(index + (0 .. K-1));
    requires \valid(dp + (0 .. N-1)) && \separated(index + (0 .. K-1), dp + (0 .. N-1));
    requires \forall integer j; 0 <= j < K ==> index[j] < N;
    assigns dp[0 .. N-1]; */
static void distill_row(size_t N, size_t K, double c, double c_winner, const double *p, const double *q,
                        const size_t *index, double *dp)
{
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, dp[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        dp[i] = c * (p[i] - q[i]);
    /*@ loop invariant 0 <= j <= K;
        loop assigns j, dp[0 .. N-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        dp[index[j]] += c_winner * (p[index[j]] - q[index[j]]);
}

smoe_status smoe_distill_loss_vjp(size_t T, size_t N, size_t K, double theta, const double *p, const double *q,
                                  const size_t *index, double dloss, double *dp)
{
    smoe_status status = check_distill(T, N, K, theta, p, q, index);
    if (status != SMOE_OK) return status;
    if (!isfinite(dloss)) return SMOE_EDOM;
    double c = 2 * dloss / (double)(T * N), c_winner = 2 * dloss * theta / (double)(T * K);
    /*@ loop invariant 0 <= t <= T;
        loop assigns t, dp[0 .. T*N-1]; loop variant T - t; */
    for (size_t t = 0; t < T; t++) {
        /*@ assert t*N + N <= T*N && t*K + K <= T*K; */
        distill_row(N, K, c, c_winner, p + t * N, q + t * N, index + t * K, dp + t * N);
    }
    return finite_or_overflow(T * N, dp);
}

smoe_status smoe_distill(size_t T, size_t N, size_t K, double theta, const double *r, const double *s,
                         const size_t *index, double *p, double *q, double *loss)
{
    smoe_status status = check_distill(T, N, K, theta, r, s, index);
    /*@ loop invariant 0 <= t <= T;
        loop invariant T == 0 || K == 0 || K > N ==> status == SMOE_EINVAL;
        loop assigns t, status, p[0 .. T*N-1], q[0 .. T*N-1]; loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        /*@ assert t*N + N <= T*N; */
        status = smoe_softmax(N, r + t * N, p + t * N);
        if (status == SMOE_OK) status = smoe_softmax(N, s + t * N, q + t * N);                          /* (C.4) */
    }
    return status == SMOE_OK ? smoe_distill_loss(T, N, K, theta, p, q, index, loss) : status;
}

/* Gradient of the scores whose softmax is `through`; sign is +1 for the router's side and -1 for the target's; share is
 * 1, or 0 for the winners' term alone. */
/*@ requires smoe_size(T*N) && smoe_size(T*K) && \valid_read(p + (0 .. T*N-1)) && \valid_read(q + (0 .. T*N-1));
    requires \valid_read(index + (0 .. T*K-1)) && \valid(dscore + (0 .. T*N-1)) && \valid(work + (0 .. N-1));
    requires \separated(p + (0 .. T*N-1), dscore + (0 .. T*N-1), work + (0 .. N-1));
    requires \separated(q + (0 .. T*N-1), dscore + (0 .. T*N-1), work + (0 .. N-1));
    requires \separated(index + (0 .. T*K-1), dscore + (0 .. T*N-1), work + (0 .. N-1));
    requires \valid_read(through + (0 .. T*N-1));
    requires \separated(through + (0 .. T*N-1), dscore + (0 .. T*N-1), work + (0 .. N-1));
    assigns dscore[0 .. T*N-1], work[0 .. N-1];
    ensures T == 0 || K == 0 || K > N ==> \result == SMOE_EINVAL; */
static smoe_status distill_scores_vjp(size_t T, size_t N, size_t K, double theta, const double *p, const double *q,
                                      const size_t *index, double dloss, double share, double sign,
                                      const double *through, double *dscore, double *work)
{
    smoe_status status = check_distill(T, N, K, theta, p, q, index);
    if (status == SMOE_OK && !isfinite(dloss)) status = SMOE_EDOM;
    double c = share * (2 * dloss / (double)(T * N)), c_winner = 2 * dloss * theta / (double)(T * K);
    /*@ loop invariant 0 <= t <= T;
        loop invariant T == 0 || K == 0 || K > N ==> status == SMOE_EINVAL;
        loop invariant status == SMOE_OK ==> \forall integer a; 0 <= a < T*K ==> index[a] < N;
        loop assigns t, status, dscore[0 .. T*N-1], work[0 .. N-1]; loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        /*@ assert t*N + N <= T*N && t*K + K <= T*K; */
        distill_row(N, K, sign * c, sign * c_winner, p + t * N, q + t * N, index + t * K, work);
        status = finite_or_overflow(N, work);
        if (status == SMOE_OK) status = smoe_softmax_vjp(N, through + t * N, work, dscore + t * N);
    }
    return status;
}

smoe_status smoe_distill_vjp(size_t T, size_t N, size_t K, double theta, const double *p, const double *q,
                             const size_t *index, double dloss, double *dr, double *dp)
{
    return distill_scores_vjp(T, N, K, theta, p, q, index, dloss, 1, 1, p, dr, dp);
}

smoe_status smoe_distill_target_vjp(size_t T, size_t N, size_t K, double theta, const double *p, const double *q,
                                    const size_t *index, double dloss, double *ds, double *dq)
{
    return distill_scores_vjp(T, N, K, theta, p, q, index, dloss, 1, -1, q, ds, dq);
}

smoe_status smoe_distill_winners_vjp(size_t T, size_t N, size_t K, double theta, const double *p, const double *q,
                                     const size_t *index, double dloss, double *dr, double *dp)
{
    return distill_scores_vjp(T, N, K, theta, p, q, index, dloss, 0, 1, p, dr, dp);
}

smoe_status smoe_distill_winners_target_vjp(size_t T, size_t N, size_t K, double theta, const double *p,
                                            const double *q, const size_t *index, double dloss, double *ds, double *dq)
{
    return distill_scores_vjp(T, N, K, theta, p, q, index, dloss, 0, -1, q, ds, dq);
}

/* --- C.6 --- */

/* u = o / |o| for n rows, 0 for a zero row. */
/*@ requires smoe_size(n*d) && \valid_read(o + (0 .. n*d-1)) && \valid(unit + (0 .. n*d-1));
    requires \valid(norm + (0 .. n-1));
    requires \separated(o + (0 .. n*d-1), unit + (0 .. n*d-1), norm + (0 .. n-1));
    assigns unit[0 .. n*d-1], norm[0 .. n-1]; */
static smoe_status unit_rows(size_t n, size_t d, const double *o, double *unit, double *norm)
{
    /*@ loop invariant 0 <= a <= n;
        loop assigns a, unit[0 .. n*d-1], norm[0 .. n-1]; loop variant n - a; */
    for (size_t a = 0; a < n; a++) {
        /*@ assert a*d + d <= n*d; */
        smoe_status status = smoe_norm(d, o + a * d, &norm[a]);
        if (status != SMOE_OK) return status;
        /*@ loop invariant 0 <= e <= d;
            loop assigns e, unit[0 .. n*d-1]; loop variant d - e; */
        for (size_t e = 0; e < d; e++)
            unit[a * d + e] = norm[a] > 0 ? o[a * d + e] / norm[a] : 0;
    }
    return SMOE_OK;
}

/* Adds the sum over pairs, divided by `entries`, of T tokens to *sum; 0 where there is no pair. */
/*@ requires smoe_size(T*K) && smoe_size(T*K*d) && smoe_size(K*d);
    requires \valid_read(o + (0 .. T*K*d-1)) && \valid(unit + (0 .. T*K*d-1));
    requires \valid(norm + (0 .. T*K-1)) && \valid(sum);
    requires \separated(o + (0 .. T*K*d-1), unit + (0 .. T*K*d-1), norm + (0 .. T*K-1), sum);
    assigns unit[0 .. T*K*d-1], norm[0 .. T*K-1], *sum;
    ensures T == 0 || K == 0 || d == 0 ==> \result == SMOE_EINVAL; */
static smoe_status add_diversity(double entries, size_t T, size_t K, size_t d, const double *o, double *unit,
                                 double *norm, double *sum)
{
    if (T == 0 || K == 0 || d == 0) return SMOE_EINVAL;
    /*@ assert (size_t)(T * K) == T * K; */
    if (!smoe_all_finite(T * K * d, o)) return SMOE_EDOM;
    smoe_status status = unit_rows(T * K, d, o, unit, norm);
    if (status != SMOE_OK) return status;
    /*@ loop invariant 0 <= t <= T;
        loop assigns t, *sum; loop variant T - t; */
    for (size_t t = 0; t < T; t++) {
        /*@ assert t*K + K <= T*K; */
        /*@ assert t*K*d + K*d <= T*K*d; */
        const double *u = unit + t * K * d;
        double pairs = 0;
        /*@ loop invariant 0 <= i <= K;
            loop assigns i, pairs; loop variant K - i; */
        for (size_t i = 0; i < K; i++) {
            /*@ assert i*d + d <= K*d; */
            /*@ loop invariant 0 <= j <= K;
                loop assigns j, pairs; loop variant K - j; */
            for (size_t j = 0; j < K; j++) {
                /*@ assert j*d + d <= K*d; */
                if (j != i) pairs += smoe_dot(d, u + i * d, u + j * d);
            }
        }
        *sum += K > 1 ? pairs / entries : 0;
    }
    return SMOE_OK;
}

/*@ requires smoe_size(T*K) && smoe_size(T*K*d) && smoe_size(K*d);
    requires \valid_read(o + (0 .. T*K*d-1)) && \valid(unit + (0 .. T*K*d-1));
    requires \valid(norm + (0 .. T*K-1)) && \valid(loss);
    requires \separated(o + (0 .. T*K*d-1), unit + (0 .. T*K*d-1), norm + (0 .. T*K-1), loss);
    assigns unit[0 .. T*K*d-1], norm[0 .. T*K-1], *loss;
    ensures T == 0 || K == 0 || d == 0 ==> \result == SMOE_EINVAL; */
static smoe_status diversity(double entries, size_t T, size_t K, size_t d, const double *o, double *unit, double *norm,
                             double *loss)
{
    double sum = 0;
    smoe_status status = add_diversity(entries, T, K, d, o, unit, norm, &sum);
    if (status == SMOE_OK) *loss = sum / (double)T;                                                     /* (C.6) */
    return status;
}

/* Of T tokens out of `all` that the loss is a mean over. */
/*@ requires smoe_size(T*K) && smoe_size(T*K*d) && smoe_size(K*d);
    requires \valid_read(unit + (0 .. T*K*d-1)) && \valid_read(norm + (0 .. T*K-1)) && \valid(do_ + (0 .. T*K*d-1));
    requires \separated(unit + (0 .. T*K*d-1), do_ + (0 .. T*K*d-1));
    requires \separated(norm + (0 .. T*K-1), do_ + (0 .. T*K*d-1));
    assigns do_[0 .. T*K*d-1];
    ensures T == 0 || K == 0 || d == 0 ==> \result == SMOE_EINVAL; */
static smoe_status diversity_vjp(double entries, size_t all, size_t T, size_t K, size_t d, const double *unit,
                                 const double *norm, double dloss, double *do_)
{
    if (T == 0 || K == 0 || d == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(T * K * d, unit) || !smoe_all_finite(T * K, norm) || !isfinite(dloss)) return SMOE_EDOM;
    const double g = K > 1 ? 2 * dloss / ((double)all * entries) : 0;
    /*@ loop invariant 0 <= a <= T*K; loop assigns a, do_[0 .. T*K*d-1]; loop variant T*K - a; */
    for (size_t a = 0; a < T * K; a++) {
        /*@ assert a*d + d <= T*K*d; */
        /*@ assert a / K < T; */
        /*@ assert (a / K)*K + K <= T*K; */
        /*@ assert (a / K)*K*d + K*d <= T*K*d; */
        const double *u = unit + a / K * K * d, *ui = unit + a * d;
        double *v = do_ + a * d;
        /*@ loop invariant 0 <= e <= d; loop assigns e, do_[0 .. T*K*d-1]; loop variant d - e; */
        for (size_t e = 0; e < d; e++)
            v[e] = 0;
        /*@ loop invariant 0 <= j <= K; loop assigns j, do_[0 .. T*K*d-1]; loop variant K - j; */
        for (size_t j = 0; j < K; j++) {
            if (j == a % K) continue;
            /*@ assert j*d + d <= K*d; */
            /*@ loop invariant 0 <= e <= d; loop assigns e, do_[0 .. T*K*d-1]; loop variant d - e; */
            for (size_t e = 0; e < d; e++)
                v[e] += u[j * d + e];                                   /* v_i = sum_{j != i} u_j */
        }
        smoe_axpy(d, -smoe_dot(d, ui, v), ui, v);                       /* v_i - <u_i, v_i> u_i */
        /*@ loop invariant 0 <= e <= d; loop assigns e, do_[0 .. T*K*d-1]; loop variant d - e; */
        for (size_t e = 0; e < d; e++)
            v[e] = norm[a] > 0 ? g * v[e] / norm[a] : 0;                /* (C.6') */
    }
    return finite_or_overflow(T * K * d, do_);
}

smoe_status smoe_diversity_pairs(size_t T, size_t K, size_t d, const double *o, double *unit, double *norm,
                                 double *loss)
{
    return diversity((double)K * ((double)K - 1), T, K, d, o, unit, norm, loss);
}

smoe_status smoe_diversity_square(size_t T, size_t K, size_t d, const double *o, double *unit, double *norm,
                                  double *loss)
{
    return diversity((double)K * (double)K, T, K, d, o, unit, norm, loss);
}

smoe_status smoe_diversity_pairs_vjp(size_t T, size_t K, size_t d, const double *unit, const double *norm, double dloss,
                                     double *do_)
{
    return diversity_vjp((double)K * ((double)K - 1), T, T, K, d, unit, norm, dloss, do_);
}

smoe_status smoe_diversity_square_vjp(size_t T, size_t K, size_t d, const double *unit, const double *norm,
                                      double dloss, double *do_)
{
    return diversity_vjp((double)K * (double)K, T, T, K, d, unit, norm, dloss, do_);
}

/* --- C.8 --- */

static bool options_make_sense(const smoe_layer_shape *s, const smoe_compete_options *opt)
{
    bool sizes = s->T > 0 && s->d > 0 && s->h > 0 && s->K > 0 && s->K <= s->N;
    bool phi = s->phi == SMOE_RELU || s->phi == SMOE_GELU || s->phi == SMOE_GELU_TANH;
    bool count = opt->count == SMOE_COUNT_ALL || opt->count == SMOE_COUNT_FIRST;
    bool target = opt->target == SMOE_TARGET_DETACHED || opt->target == SMOE_TARGET_ATTACHED;
    bool mean = opt->diversity == SMOE_DIVERSITY_PAIRS || opt->diversity == SMOE_DIVERSITY_SQUARE;
    bool version = opt->version == SMOE_VERSION_2 || opt->version == SMOE_VERSION_1;
    bool response = opt->response == SMOE_RESPONSE_SOFTPLUS || opt->response == SMOE_RESPONSE_NORM ||
                    opt->response == SMOE_RESPONSE_RELU || opt->response == SMOE_RESPONSE_SIGMOID ||
                    opt->response == SMOE_RESPONSE_SILU;
    bool weights = opt->weights == SMOE_WEIGHTS_RATIO || opt->weights == SMOE_WEIGHTS_SOFTMAX ||
                   opt->weights == SMOE_WEIGHTS_SIGMOID_RATIO;
    return sizes && phi && count && target && mean && version && response && weights;
}

static bool options_are_finite(const smoe_compete_options *opt)
{
    return isfinite(opt->theta) && isfinite(opt->mix) && isfinite(opt->c_task) && isfinite(opt->c_distill) &&
           isfinite(opt->c_diversity) && isfinite(opt->c_balance) && isfinite(opt->c_zloss);
}

static bool inputs_are_finite(const smoe_layer_shape *s, const smoe_layer_in *in)
{
    return smoe_all_finite(s->T * s->d, in->x) && smoe_all_finite(s->N * s->d, in->wr) &&
           smoe_all_finite(s->N, in->br) && smoe_all_finite(s->N * s->h * s->d, in->w1) &&
           smoe_all_finite(s->N * s->h, in->b1) && smoe_all_finite(s->N * s->d * s->h, in->w2) &&
           smoe_all_finite(s->N * s->d, in->b2);
}

static bool cot_is_finite(const smoe_compete_cot *cot)
{
    return isfinite(cot->loss) && isfinite(cot->distill) && isfinite(cot->diversity) && isfinite(cot->balance) &&
           isfinite(cot->zloss);
}

static smoe_status check_step(const smoe_layer_shape *shape, const smoe_compete_options *opt, const smoe_layer_in *in)
{
    if (!options_make_sense(shape, opt)) return SMOE_EINVAL;
    return options_are_finite(opt) && inputs_are_finite(shape, in) ? SMOE_OK : SMOE_EDOM;
}

/* f of the whole batch, out of all choices or of the first ones. */
static smoe_status fractions(const smoe_layer_shape *s, smoe_count which, const size_t *index, size_t *count, double *f)
{
    size_t A = which == SMOE_COUNT_ALL ? s->T * s->K : s->T;
    return smoe_compete_fractions(which, s->T, s->N, s->K, A, index, count, f);
}

/* o_{t,i} = E_i(x_t) for all experts and tokens. */
static smoe_status all_experts(const smoe_layer_shape *s, const smoe_layer_in *in, const smoe_compete_kept *kept)
{
    size_t T = s->T, d = s->d, h = s->h, N = s->N;
    for (size_t i = 0; i < N; i++) {
        smoe_status status = smoe_expert_mlp(s->phi, T, d, h, in->x, in->w1 + i * h * d, in->b1 + i * h,
                                             in->w2 + i * d * h, in->b2 + i * d, kept->a + i * T * h,
                                             kept->u + i * T * h, kept->e);
        if (status != SMOE_OK) return status;
        for (size_t t = 0; t < T; t++)
            for (size_t e = 0; e < d; e++)
                kept->o[(t * N + i) * d + e] = kept->e[t * d + e];
    }
    return SMOE_OK;
}

static smoe_status respond(smoe_response kind, size_t N, size_t d, const double *o, double *s)
{
    switch (kind) {
    case SMOE_RESPONSE_NORM: return smoe_response_norm(N, d, o, s);
    case SMOE_RESPONSE_RELU: return smoe_response_relu(N, d, o, s);
    case SMOE_RESPONSE_SIGMOID: return smoe_response_sigmoid(N, d, o, s);
    case SMOE_RESPONSE_SILU: return smoe_response_silu(N, d, o, s);
    case SMOE_RESPONSE_SOFTPLUS: break;
    }
    return smoe_response_softplus(N, d, o, s);
}

static smoe_status respond_vjp(smoe_response kind, size_t N, size_t d, const double *o, const double *s,
                               const double *ds, double *do_)
{
    switch (kind) {
    case SMOE_RESPONSE_NORM: return smoe_response_norm_vjp(N, d, o, s, ds, do_);
    case SMOE_RESPONSE_RELU: return smoe_response_relu_vjp(N, d, o, ds, do_);
    case SMOE_RESPONSE_SIGMOID: return smoe_response_sigmoid_vjp(N, d, o, ds, do_);
    case SMOE_RESPONSE_SILU: return smoe_response_silu_vjp(N, d, o, ds, do_);
    case SMOE_RESPONSE_SOFTPLUS: break;
    }
    return smoe_response_softplus_vjp(N, d, o, ds, do_);
}

/* v [K] is work. */
static smoe_status weigh(smoe_winner_weights how, size_t K, const double *value, double *weight, double *v)
{
    return how == SMOE_WEIGHTS_RATIO     ? smoe_compete_weights(K, value, weight)
           : how == SMOE_WEIGHTS_SOFTMAX ? smoe_compete_weights_v1(K, value, weight)
                                         : smoe_compete_weights_sigmoid(K, value, weight, v);
}

static smoe_status weigh_vjp(smoe_winner_weights how, size_t K, const double *value, const double *weight,
                             const double *dweight, double *dvalue, double *v)
{
    return how == SMOE_WEIGHTS_RATIO     ? smoe_compete_weights_vjp(K, value, weight, dweight, dvalue)
           : how == SMOE_WEIGHTS_SOFTMAX ? smoe_compete_weights_v1_vjp(K, weight, dweight, dvalue)
                                         : smoe_compete_weights_sigmoid_vjp(K, value, weight, dweight, dvalue, v);
}

static void zero(size_t n, double *x)
{
    for (size_t k = 0; k < n; k++)
        x[k] = 0;
}

static void copy(size_t n, const double *x, double *y)
{
    for (size_t k = 0; k < n; k++)
        y[k] = x[k];
}

/* r in kept->p and s in kept->qs, and whether every token's winners have weights: nothing of `out` is written yet. */
static smoe_status scores(const smoe_layer_shape *s, const smoe_compete_options *opt, const smoe_layer_in *in,
                          const smoe_compete_kept *kept)
{
    size_t T = s->T, d = s->d, N = s->N, K = s->K;
    smoe_status status = smoe_gate_linear(T, d, N, in->x, in->wr, in->br, kept->p);
    for (size_t t = 0; t < T && status == SMOE_OK; t++)
        status = respond(opt->response, N, d, kept->o + t * N * d, kept->response + t * N);             /* (C.1) */
    if (status != SMOE_OK) return status;
    if (opt->mix != 0)
        status = smoe_mix_scores(T * N, opt->mix, kept->response, kept->p, kept->qs);                   /* (C.11) */
    else
        copy(T * N, kept->response, kept->qs);
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        double margin;
        status = smoe_topk(N, K, kept->qs + t * N, kept->count, kept->value, &margin);
        if (status == SMOE_OK) status = weigh(opt->weights, K, kept->value, kept->norm + t * K, kept->value + N);
    }
    return status;
}

/* r, s, winners, weights and y, out of what scores() left. */
static smoe_status combine_winners(const smoe_layer_shape *s, const smoe_compete_options *opt,
                                   const smoe_compete_out *out, const smoe_compete_kept *kept)
{
    size_t T = s->T, d = s->d, N = s->N, K = s->K;
    smoe_status status = SMOE_OK;
    copy(T * N, kept->p, out->r);
    copy(T * N, kept->qs, out->s);
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        size_t *I = out->index + t * K;
        double *w = out->weight + t * K;
        status = smoe_topk(N, K, out->s + t * N, I, kept->value, &out->margin[t]);
        if (status == SMOE_OK) status = weigh(opt->weights, K, kept->value, w, kept->value + N);        /* (C.2) */
        if (status == SMOE_OK)
            status = smoe_compete_combine(N, K, d, I, w, kept->o + t * N * d, out->y + t * d);          /* (C.3) */
    }
    return status;
}

/* How many entries the diversity of a token is a mean of. */
static double entries(const smoe_compete_options *opt, size_t K)
{
    return (double)K * (opt->diversity == SMOE_DIVERSITY_PAIRS ? (double)K - 1 : (double)K);
}

/* The winners' outputs, and (C.6) of these tokens, added to *pairs; version 1 has none. */
static smoe_status compare_winners(const smoe_layer_shape *s, const smoe_compete_options *opt,
                                   const smoe_compete_out *out, const smoe_compete_kept *kept, double *pairs)
{
    size_t T = s->T, d = s->d, N = s->N, K = s->K;
    if (opt->version == SMOE_VERSION_1) return SMOE_OK;
    for (size_t a = 0; a < T * K; a++)
        copy(d, kept->o + (a / K * N + out->index[a]) * d, kept->won + a * d);
    return add_diversity(entries(opt, K), T, K, d, kept->won, kept->unit, kept->norm, pairs);
}

/* The tokens t0 ... of a step, at most opt->chunk of them, as a step of their own.  What a chunk leaves behind, that is
 * outputs and responses, stands in its place among all tokens; its activations take turns. */
typedef struct {
    smoe_layer_shape shape;
    smoe_layer_in in;
    smoe_compete_out out;
    smoe_compete_kept kept;
} part;

static part part_at(size_t t0, const smoe_layer_shape *s, const smoe_compete_options *opt, const smoe_layer_in *in,
                    const smoe_compete_out *out, const smoe_compete_kept *kept)
{
    size_t N = s->N, left = s->T - t0;
    part c = {*s, *in, *out, *kept};
    c.shape.T = opt->chunk > 0 && opt->chunk < left ? opt->chunk : left;
    c.in.x += t0 * s->d;
    c.out.y += t0 * s->d;
    c.out.r += t0 * N;
    c.out.s += t0 * N;
    c.out.index += t0 * s->K;
    c.out.weight += t0 * s->K;
    c.out.margin += t0;
    c.kept.response += t0 * N;
    return c;
}

/* (C.5) and (C.6), or version 1's (C.9) and 0. */
static smoe_status lessons(const smoe_layer_shape *s, const smoe_compete_options *opt, const smoe_compete_out *out,
                           const smoe_compete_kept *kept, double pairs)
{
    size_t T = s->T, N = s->N, K = s->K;
    if (opt->version == SMOE_VERSION_1) {
        *out->diversity = 0;
        return smoe_distill_v1(T, N, K, out->r, out->s, out->index, kept->p, kept->q, out->distill, kept->value);
    }
    smoe_status status = smoe_distill(T, N, K, opt->theta, out->r, out->s, out->index, kept->p, kept->q, out->distill);
    if (status != SMOE_OK) return status;
    *out->diversity = pairs / (double)T;                                                                /* (C.6) */
    return SMOE_OK;
}

smoe_status smoe_compete_step(const smoe_layer_shape *shape, const smoe_compete_options *opt, const smoe_layer_in *in,
                              const smoe_compete_out *out, const smoe_compete_kept *kept)
{
    smoe_status status = check_step(shape, opt, in);
    if (status != SMOE_OK) return status;
    double pairs = 0;
    for (size_t t0 = 0; t0 < shape->T && status == SMOE_OK;) {
        const part c = part_at(t0, shape, opt, in, out, kept);
        status = all_experts(&c.shape, &c.in, &c.kept);
        if (status == SMOE_OK) status = scores(&c.shape, opt, &c.in, &c.kept);
        if (status == SMOE_OK) status = combine_winners(&c.shape, opt, &c.out, &c.kept);
        if (status == SMOE_OK) status = compare_winners(&c.shape, opt, &c.out, &c.kept, &pairs);
        t0 += c.shape.T;
    }
    if (status == SMOE_OK) status = lessons(shape, opt, out, kept, pairs);
    if (status == SMOE_OK) status = fractions(shape, opt->count, out->index, kept->count, kept->f);
    if (status == SMOE_OK)
        status = smoe_balance_loss(1, shape->T, shape->N, out->s, kept->f, kept->qs, kept->P, out->balance); /* (C.7) */
    if (status != SMOE_OK) return status;
    *out->zloss = 0;
    *out->loss = opt->c_distill * *out->distill + opt->c_diversity * *out->diversity + opt->c_balance * *out->balance;
    return finite_or_overflow(1, out->loss);                                                            /* (C.8) */
}

size_t smoe_compete_step_vjp_work(const smoe_layer_shape *s, const smoe_compete_options *opt)
{
    size_t C = opt->chunk > 0 && opt->chunk < s->T ? opt->chunk : s->T;
    return 3 * s->T * s->N + s->T * s->d + C * (s->N * s->d + s->K * s->d + 2 * s->d + s->h) +
           s->N * s->d + 7 * s->N + 4 * s->K;
}

/* A term's total cotangent:  g = d_term + c_term d_loss. */
static double total(double term, double c, double loss)
{
    return term + c * loss;
}

/* Gradient of x through the experts, i ascending, for the gradient do_ [T,N,d] of their outputs; that of the experts is
 * added to what is there. */
static smoe_status all_experts_vjp(const smoe_layer_shape *s, const smoe_layer_in *in, const smoe_compete_kept *kept,
                                   const double *do_, const smoe_layer_grad *grad, double *de, double *dx, double *da)
{
    size_t T = s->T, d = s->d, h = s->h, N = s->N;
    zero(T * d, grad->x);
    for (size_t i = 0; i < N; i++) {
        for (size_t t = 0; t < T; t++)
            for (size_t e = 0; e < d; e++)
                de[t * d + e] = do_[(t * N + i) * d + e];
        smoe_status status = smoe_expert_mlp_vjp_acc(s->phi, T, d, h, in->x, in->w1 + i * h * d, in->w2 + i * d * h,
                                                     kept->a + i * T * h, kept->u + i * T * h, de, dx,
                                                     grad->w1 + i * h * d, grad->b1 + i * h, grad->w2 + i * d * h,
                                                     grad->b2 + i * d, da);
        if (status == SMOE_OK) status = add(T * d, dx, grad->x);
        if (status != SMOE_OK) return status;
    }
    return SMOE_OK;
}

/* ds of (C.5) or (C.9), if the target is attached, plus that of (C.7).  dz [T,N] and row [5 N] are work. */
static smoe_status responses_vjp(const smoe_layer_shape *s, const smoe_compete_options *opt,
                                 const smoe_compete_out *out, const smoe_compete_kept *kept, double g_distill,
                                 double g_balance, double *ds, double *dz, double *row)
{
    size_t T = s->T, N = s->N;
    smoe_status status = SMOE_OK;
    for (size_t k = 0; k < T * N; k++)
        ds[k] = 0;
    for (size_t i = 0; i < N; i++)
        row[i] = 0;                                                     /* nothing else reaches P */
    if (opt->target == SMOE_TARGET_ATTACHED)
        status = opt->version == SMOE_VERSION_1
                     ? smoe_distill_v1_target_vjp(T, N, s->K, kept->p, kept->q, out->index, g_distill, ds, row + N)
                     : smoe_distill_target_vjp(T, N, s->K, opt->theta, kept->p, kept->q, out->index, g_distill, ds,
                                               row + N);
    if (status == SMOE_OK)
        status = smoe_balance_loss_vjp(1, T, N, kept->f, kept->qs, g_balance, row, row + N, dz);
    return status == SMOE_OK ? add(T * N, dz, ds) : status;
}

/* do_ of one token by (C.3), (C.2), (C.11) and (C.1), for the gradient ds [N] that its responses have from the losses;
 * the router's share of (C.11) is added to dr [N].  work [N d + 2 N + 4 K]. */
static smoe_status token_vjp(const smoe_layer_shape *s, const smoe_compete_options *opt, const smoe_compete_out *out,
                             const smoe_compete_kept *kept, const smoe_compete_cot *cot, size_t t, const double *ds,
                             double *dr, double *do_, double *work)
{
    size_t d = s->d, N = s->N, K = s->K;
    const double *ot = kept->o + t * N * d, *w = out->weight + t * K;
    const size_t *I = out->index + t * K;
    double *through_s = work, *total = work + N * d, *dresponse = total + N;
    double *dw = dresponse + N, *dvalue = dw + K, *value = dvalue + K, *v = value + K;
    smoe_status status = weights_total(N, K, d, I, w, ot, cot->y + t * d, cot->weight + t * K, dw, do_);
    if (status != SMOE_OK) return status;
    for (size_t j = 0; j < K; j++)
        value[j] = out->s[t * N + I[j]];
    status = weigh_vjp(opt->weights, K, value, w, dw, dvalue, v);
    if (status == SMOE_OK) status = responses_total(N, K, I, ds, dvalue, total);
    if (status != SMOE_OK) return status;
    if (opt->mix != 0) {
        status = smoe_mix_scores_vjp(N, opt->mix, total, dresponse, through_s);
        if (status == SMOE_OK) status = add(N, through_s, dr);
        total = dresponse;
    }
    if (status == SMOE_OK) status = respond_vjp(opt->response, N, d, ot, kept->response + t * N, total, through_s);
    return status == SMOE_OK ? add(N * d, through_s, do_) : status;
}

/* Adds the gradient of (C.6), a mean over `all` tokens, to the winners' rows of do_; version 1 has none. */
static smoe_status winners_vjp(size_t all, const smoe_layer_shape *s, const smoe_compete_options *opt,
                               const smoe_compete_out *out, const smoe_compete_kept *kept, double g, double *do_,
                               double *dwon)
{
    size_t T = s->T, d = s->d, N = s->N, K = s->K;
    if (opt->version == SMOE_VERSION_1) return SMOE_OK;
    smoe_status status = diversity_vjp(entries(opt, K), all, T, K, d, kept->unit, kept->norm, g, dwon);
    for (size_t a = 0; a < T * K && status == SMOE_OK; a++)
        status = add(d, dwon + a * d, do_ + (a / K * N + out->index[a]) * d);
    return status;
}

/* What the other chunks have overwritten since the forward: the same activations, out of the same inputs. */
static smoe_status activations_again(const part *c, const smoe_compete_options *opt)
{
    double pairs = 0;
    smoe_status status = all_experts(&c->shape, &c->in, &c->kept);
    return status == SMOE_OK ? compare_winners(&c->shape, opt, &c->out, &c->kept, &pairs) : status;
}

/* Everything that a chunk's outputs o owe: to its rows of x and, added, to the experts.   work [C (N d + K d + d + h)
 * + N d + 2 N + 4 K] for the C tokens of the chunk */
static smoe_status part_vjp(const part *c, const smoe_compete_options *opt, const smoe_compete_cot *cot, size_t t0,
                            size_t all, double g_diversity, const double *ds, double *dr, const smoe_layer_grad *grad,
                            double *dx, double *work)
{
    size_t T = c->shape.T, d = c->shape.d, N = c->shape.N, K = c->shape.K;
    double *do_ = work, *dwon = do_ + T * N * d, *de = dwon + T * K * d, *da = de + T * d, *token = da + T * c->shape.h;
    smoe_compete_cot mine = *cot;
    smoe_layer_grad owed = *grad;
    mine.y += t0 * d;
    mine.weight += t0 * K;
    owed.x += t0 * d;
    smoe_status status = SMOE_OK;
    for (size_t t = 0; t < T && status == SMOE_OK; t++)
        status = token_vjp(&c->shape, opt, &c->out, &c->kept, &mine, t, ds + t * N, dr + t * N, do_ + t * N * d, token);
    if (status == SMOE_OK)
        status = winners_vjp(all, &c->shape, opt, &c->out, &c->kept, g_diversity, do_, dwon);
    if (status == SMOE_OK) status = all_experts_vjp(&c->shape, &c->in, &c->kept, do_, &owed, de, dx, da);
    return status;
}

smoe_status smoe_compete_step_vjp(const smoe_layer_shape *shape, const smoe_compete_options *opt,
                                  const smoe_layer_in *in, const smoe_compete_out *out, const smoe_compete_kept *kept,
                                  const smoe_compete_cot *cot, const smoe_layer_grad *grad, double *work)
{
    smoe_status status = check_step(shape, opt, in);
    if (status != SMOE_OK) return status;
    size_t T = shape->T, d = shape->d, N = shape->N, K = shape->K;
    const double g[3] = {total(cot->distill, opt->c_distill, cot->loss),
                         total(cot->diversity, opt->c_diversity, cot->loss),
                         total(cot->balance, opt->c_balance, cot->loss)};
    if (!smoe_all_finite(T * d, cot->y) || !smoe_all_finite(T * K, cot->weight) || !cot_is_finite(cot))
        return SMOE_EDOM;
    if (!smoe_all_finite(3, g)) return SMOE_EOVRFLW;
    double *dr = work, *ds = dr + T * N, *dz = ds + T * N, *dx = dz + T * N, *row = dx + T * d, *rest = row + 5 * N;

    status = opt->version == SMOE_VERSION_1
                 ? smoe_distill_v1_vjp(T, N, kept->p, kept->q, g[0], dr, row)
                 : smoe_distill_vjp(T, N, K, opt->theta, kept->p, kept->q, out->index, g[0], dr, row);
    if (status == SMOE_OK) status = responses_vjp(shape, opt, out, kept, g[0], g[2], ds, dz, row);
    zero(N * shape->h * d, grad->w1);
    zero(N * shape->h, grad->b1);
    zero(N * d * shape->h, grad->w2);
    zero(N * d, grad->b2);
    for (size_t t0 = 0; t0 < T && status == SMOE_OK;) {
        const part c = part_at(t0, shape, opt, in, out, kept);
        if (c.shape.T < T) status = activations_again(&c, opt);
        if (status == SMOE_OK)
            status = part_vjp(&c, opt, cot, t0, T, g[1], ds + t0 * N, dr + t0 * N, grad, dx + t0 * d, rest);
        t0 += c.shape.T;
    }
    if (status == SMOE_OK) status = smoe_gate_linear_vjp(T, d, N, in->x, in->wr, dr, dx, grad->wr, grad->br);
    return status == SMOE_OK ? add(T * d, dx, grad->x) : status;
}

/* Only a step without competition uses the router's order of softmax and selection. */
static bool order_is_known(const smoe_layer_shape *s)
{
    return s->order == SMOE_TOPK_SOFTMAX || s->order == SMOE_SOFTMAX_TOPK || s->order == SMOE_SOFTMAX_TOPK_RENORM;
}

smoe_status smoe_router_step(const smoe_layer_shape *shape, const smoe_compete_options *opt, const smoe_layer_in *in,
                             const smoe_compete_out *out, const smoe_router_kept *kept)
{
    if (!order_is_known(shape)) return SMOE_EINVAL;
    smoe_status status = check_step(shape, opt, in);
    if (status != SMOE_OK) return status;
    size_t T = shape->T, N = shape->N;
    const smoe_layer_out layer = {out->y, out->r, out->index, out->weight, out->margin};
    status = smoe_layer(shape, in, &layer, &kept->layer);
    if (status == SMOE_OK) status = fractions(shape, opt->count, out->index, kept->count, kept->f);
    if (status == SMOE_OK) status = smoe_balance_loss(1, T, N, out->r, kept->f, kept->p, kept->P, out->balance);
    if (status == SMOE_OK) status = smoe_z_loss(T, N, out->r, kept->lse, out->zloss);
    if (status != SMOE_OK) return status;
    if (opt->version == SMOE_VERSION_1) *out->zloss = 0;
    for (size_t k = 0; k < T * N; k++)
        out->s[k] = 0;
    *out->distill = *out->diversity = 0;
    *out->loss = opt->c_balance * *out->balance + opt->c_zloss * *out->zloss;               /* (C.8), from zero */
    return finite_or_overflow(1, out->loss);
}

size_t smoe_router_step_vjp_work(const smoe_layer_shape *s)
{
    return 2 * s->T * s->N + 2 * s->N + smoe_layer_vjp_work(s);
}

smoe_status smoe_router_step_vjp(const smoe_layer_shape *shape, const smoe_compete_options *opt,
                                 const smoe_layer_in *in, const smoe_compete_out *out, const smoe_router_kept *kept,
                                 const smoe_compete_cot *cot, const smoe_layer_grad *grad, double *work)
{
    if (!order_is_known(shape)) return SMOE_EINVAL;
    smoe_status status = check_step(shape, opt, in);
    if (status != SMOE_OK) return status;
    size_t T = shape->T, N = shape->N;
    const double g[2] = {total(cot->balance, opt->c_balance, cot->loss),
                         opt->version == SMOE_VERSION_1 ? 0 : total(cot->zloss, opt->c_zloss, cot->loss)};
    if (!smoe_all_finite(T * shape->d, cot->y) || !smoe_all_finite(T * shape->K, cot->weight) || !cot_is_finite(cot))
        return SMOE_EDOM;
    if (!smoe_all_finite(2, g)) return SMOE_EOVRFLW;
    double *dr = work, *dz = dr + T * N, *row = dz + T * N;
    for (size_t i = 0; i < N; i++)
        row[i] = 0;                                                     /* nothing else reaches P */

    status = smoe_balance_loss_vjp(1, T, N, kept->f, kept->p, g[0], row, row + N, dr);
    if (status == SMOE_OK) status = smoe_z_loss_vjp(T, N, out->r, kept->lse, g[1], dz);
    if (status == SMOE_OK) status = add(T * N, dz, dr);
    if (status != SMOE_OK) return status;
    const smoe_layer_out layer = {out->y, out->r, out->index, out->weight, out->margin};
    return smoe_layer_vjp(shape, in, &layer, &kept->layer, cot->y, cot->weight, dr, grad, row + 2 * N);
}

/* --- C.9 --- */

smoe_status smoe_target_masked(size_t N, size_t K, const double *s, const size_t *index, double *q, double *work)
{
    if (K == 0 || K > N) return SMOE_EINVAL;
    if (!all_below(K, index, N) || !smoe_all_finite(N, s)) return SMOE_EDOM;
    double *value = work, *weight = work + K;
    /*@ loop invariant 0 <= j <= K;
        loop assigns j, work[0 .. K-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++) {
        /*@ assert index[j] < N; */
        value[j] = s[index[j]];
    }
    smoe_status status = smoe_softmax(K, value, weight);
    if (status != SMOE_OK) return status;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, q[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        q[i] = 0;
    /*@ loop invariant 0 <= j <= K;
        loop assigns j, q[0 .. N-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++) {
        /*@ assert index[j] < N; */
        q[index[j]] = weight[j];                                        /* (C.9), target */
    }
    return SMOE_OK;
}

smoe_status smoe_target_masked_vjp(size_t N, size_t K, const double *q, const size_t *index, const double *dq,
                                   double *ds, double *work)
{
    if (K == 0 || K > N) return SMOE_EINVAL;
    if (!all_below(K, index, N) || !smoe_all_finite(N, q) || !smoe_all_finite(N, dq)) return SMOE_EDOM;
    double *weight = work, *dweight = work + K, *dvalue = work + 2 * K;
    /*@ loop invariant 0 <= j <= K;
        loop assigns j, work[0 .. 2*K-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++) {
        /*@ assert index[j] < N; */
        weight[j] = q[index[j]];
        dweight[j] = dq[index[j]];
    }
    smoe_status status = smoe_softmax_vjp(K, weight, dweight, dvalue);
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, ds[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        ds[i] = 0;
    /*@ loop invariant 0 <= j <= K;
        loop assigns j, ds[0 .. N-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++) {
        /*@ assert index[j] < N; */
        ds[index[j]] = dvalue[j];                                       /* (C.9'), target */
    }
    return status;
}

/* p and q of all tokens.  work [2 K], of the callers' 4 N. */
/*@ requires smoe_size(T*N) && smoe_size(T*K) && smoe_size(4*N) && \valid_read(r + (0 .. T*N-1));
    requires \valid_read(s + (0 .. T*N-1)) && \valid_read(index + (0 .. T*K-1));
    requires \valid(p + (0 .. T*N-1)) && \valid(q + (0 .. T*N-1)) && \valid(work + (0 .. 4*N-1));
    requires \separated(r + (0 .. T*N-1), p + (0 .. T*N-1), q + (0 .. T*N-1), work + (0 .. 4*N-1));
    requires \separated(s + (0 .. T*N-1), p + (0 .. T*N-1), q + (0 .. T*N-1), work + (0 .. 4*N-1));
    requires \separated(index + (0 .. T*K-1), p + (0 .. T*N-1), q + (0 .. T*N-1), work + (0 .. 4*N-1));
    assigns p[0 .. T*N-1], q[0 .. T*N-1], work[0 .. 4*N-1];
    ensures T == 0 || K == 0 || K > N ==> \result == SMOE_EINVAL;
    ensures \result == SMOE_OK ==> T > 0 && 0 < K <= N && \forall integer a; 0 <= a < T*K ==> index[a] < N; */
static smoe_status both_policies(size_t T, size_t N, size_t K, const double *r, const double *s, const size_t *index,
                                 double *p, double *q, double *work)
{
    smoe_status status = check_distill(T, N, K, 0, r, s, index);
    /*@ loop invariant 0 <= t <= T;
        loop invariant T == 0 || K == 0 || K > N ==> status == SMOE_EINVAL;
        loop invariant status == SMOE_OK ==> 0 < K <= N && T > 0;
        loop invariant status == SMOE_OK ==> \forall integer a; 0 <= a < T*K ==> index[a] < N;
        loop assigns t, status, p[0 .. T*N-1], q[0 .. T*N-1], work[0 .. 4*N-1];
        loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        /*@ assert t*N + N <= T*N && t*K + K <= T*K; */
        status = smoe_softmax(N, r + t * N, p + t * N);
        if (status == SMOE_OK) status = smoe_target_masked(N, K, s + t * N, index + t * K, q + t * N, work);
    }
    return status;
}

smoe_status smoe_distill_v1(size_t T, size_t N, size_t K, const double *r, const double *s, const size_t *index,
                            double *p, double *q, double *loss, double *work)
{
    smoe_status status = both_policies(T, N, K, r, s, index, p, q, work);
    if (status != SMOE_OK) return status;
    double sum = 0;
    /*@ loop invariant 0 <= k <= T*N; loop assigns k, sum; loop variant T*N - k; */
    for (size_t k = 0; k < T * N; k++)
        sum = fma(p[k] - q[k], p[k] - q[k], sum);
    *loss = sum / (double)(T * N);                                      /* (C.9), mean squared error */
    return finite_or_overflow(1, loss);
}

smoe_status smoe_distill_v1_vjp(size_t T, size_t N, const double *p, const double *q, double dloss, double *dr,
                                double *work)
{
    if (T == 0 || N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(T * N, p) || !smoe_all_finite(T * N, q) || !isfinite(dloss)) return SMOE_EDOM;
    double c = 2 * dloss / (double)(T * N);
    smoe_status status = SMOE_OK;
    /*@ loop invariant 0 <= t <= T;
        loop assigns t, status, dr[0 .. T*N-1], work[0 .. N-1];
        loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        /*@ assert t*N + N <= T*N; */
        /*@ loop invariant 0 <= i <= N; loop assigns i, work[0 .. N-1]; loop variant N - i; */
        for (size_t i = 0; i < N; i++)
            work[i] = c * (p[t * N + i] - q[t * N + i]);
        status = finite_or_overflow(N, work);
        if (status == SMOE_OK) status = smoe_softmax_vjp(N, p + t * N, work, dr + t * N);
    }
    return status;
}

smoe_status smoe_distill_v1_target_vjp(size_t T, size_t N, size_t K, const double *p, const double *q,
                                       const size_t *index, double dloss, double *ds, double *work)
{
    smoe_status status = check_distill(T, N, K, 0, p, q, index);
    if (status == SMOE_OK && !isfinite(dloss)) status = SMOE_EDOM;
    double c = 2 * dloss / (double)(T * N);
    /*@ loop invariant 0 <= t <= T;
        loop invariant T == 0 || K == 0 || K > N ==> status == SMOE_EINVAL;
        loop invariant status == SMOE_OK ==> 0 < K <= N && T > 0;
        loop invariant status == SMOE_OK ==> \forall integer a; 0 <= a < T*K ==> index[a] < N;
        loop assigns t, status, ds[0 .. T*N-1], work[0 .. 4*N-1];
        loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        /*@ assert t*N + N <= T*N && t*K + K <= T*K; */
        /*@ loop invariant 0 <= i <= N; loop assigns i, work[0 .. N-1]; loop variant N - i; */
        for (size_t i = 0; i < N; i++)
            work[i] = -c * (p[t * N + i] - q[t * N + i]);
        status = finite_or_overflow(N, work);
        if (status == SMOE_OK)
            status = smoe_target_masked_vjp(N, K, q + t * N, index + t * K, work, ds + t * N, work + N);
    }
    return status;
}

smoe_status smoe_log_ratio(size_t N, size_t K, const double *r, const double *s, const size_t *index, double *l)
{
    if (K == 0 || K > N) return SMOE_EINVAL;
    if (!all_below(K, index, N) || !smoe_all_finite(N, r) || !smoe_all_finite(N, s)) return SMOE_EDOM;
    /*@ loop invariant 0 <= j <= K;
        loop assigns j, l[0 .. K-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++) {
        /*@ assert index[j] < N; */
        l[j] = s[index[j]];
    }
    double lse_p, lse_q;
    smoe_status status = smoe_logsumexp(N, r, &lse_p);
    if (status == SMOE_OK) status = smoe_logsumexp(K, l, &lse_q);
    if (status != SMOE_OK) return status;
    /*@ loop invariant 0 <= j <= K;
        loop assigns j, l[0 .. K-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++) {
        /*@ assert index[j] < N; */
        l[j] = (l[j] - lse_q) - (r[index[j]] - lse_p);                  /* ln q - ln p */
    }
    return finite_or_overflow(K, l);
}

smoe_status smoe_distill_kl(size_t T, size_t N, size_t K, const double *r, const double *s, const size_t *index,
                            double *p, double *q, double *loss, double *work)
{
    smoe_status status = both_policies(T, N, K, r, s, index, p, q, work);
    double sum = 0;
    /*@ loop invariant 0 <= t <= T;
        loop invariant T == 0 || K == 0 || K > N ==> status == SMOE_EINVAL;
        loop invariant status == SMOE_OK ==> 0 < K <= N && T > 0;
        loop invariant status == SMOE_OK ==> \forall integer a; 0 <= a < T*K ==> index[a] < N;
        loop assigns t, status, sum, work[0 .. 4*N-1];
        loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        /*@ assert t*N + N <= T*N && t*K + K <= T*K; */
        status = smoe_log_ratio(N, K, r + t * N, s + t * N, index + t * K, work);
        /*@ loop invariant 0 <= j <= K; loop assigns j, sum; loop variant K - j; */
        for (size_t j = 0; j < K && status == SMOE_OK; j++)
            /*@ assert index[t*K + j] < N; */
            sum = fma(q[t * N + index[t * K + j]], work[j], sum);
    }
    if (status != SMOE_OK) return status;
    *loss = sum / (double)T;                                            /* (C.9), kl */
    return finite_or_overflow(1, loss);
}

smoe_status smoe_distill_kl_vjp(size_t T, size_t N, const double *p, const double *q, double dloss, double *dr)
{
    if (T == 0 || N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(T * N, p) || !smoe_all_finite(T * N, q) || !isfinite(dloss)) return SMOE_EDOM;
    /*@ loop invariant 0 <= k <= T*N;
        loop assigns k, dr[0 .. T*N-1]; loop variant T*N - k; */
    for (size_t k = 0; k < T * N; k++)
        dr[k] = dloss / (double)T * (p[k] - q[k]);                      /* (C.9'), kl */
    return finite_or_overflow(T * N, dr);
}

smoe_status smoe_distill_kl_target_vjp(size_t T, size_t N, size_t K, const double *r, const double *s, const double *q,
                                       const size_t *index, double dloss, double *ds, double *work)
{
    smoe_status status = check_distill(T, N, K, 0, r, s, index);
    if (status == SMOE_OK && (!isfinite(dloss) || !smoe_all_finite(T * N, q))) status = SMOE_EDOM;
    /*@ loop invariant 0 <= t <= T;
        loop invariant T == 0 || K == 0 || K > N ==> status == SMOE_EINVAL;
        loop invariant status == SMOE_OK ==> 0 < K <= N && T > 0;
        loop invariant status == SMOE_OK ==> \forall integer a; 0 <= a < T*K ==> index[a] < N;
        loop assigns t, status, ds[0 .. T*N-1], work[0 .. 4*N-1];
        loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        /*@ assert t*N + N <= T*N && t*K + K <= T*K; */
        const size_t *I = index + t * K;
        double *dq = work, *l = work + N;
        /*@ loop invariant 0 <= i <= N; loop assigns i, work[0 .. N-1]; loop variant N - i; */
        for (size_t i = 0; i < N; i++)
            dq[i] = 0;
        status = smoe_log_ratio(N, K, r + t * N, s + t * N, I, l);
        if (status != SMOE_OK) return status;
        /*@ loop invariant 0 <= j <= K; loop assigns j, work[0 .. N-1]; loop variant K - j; */
        for (size_t j = 0; j < K; j++)
            /*@ assert index[t*K + j] < N; */
            dq[I[j]] = dloss / (double)T * l[j];    /* and a constant, which the softmax does not see */
        status = finite_or_overflow(N, dq);
        if (status == SMOE_OK) status = smoe_target_masked_vjp(N, K, q + t * N, I, dq, ds + t * N, work + N);
    }
    return status;
}

/* The first code's library puts this in the place of smaller probabilities. */
static const double least_q = 1e-6;

/* l_i = ln(p_i / max(q_i, 1e-6)) of one token, by way of r. */
/*@ requires \valid_read(r + (0 .. N-1)) && \valid_read(q + (0 .. N-1)) && \valid(l + (0 .. N-1));
    requires \separated(r + (0 .. N-1), l + (0 .. N-1)) && \separated(q + (0 .. N-1), l + (0 .. N-1));
    assigns l[0 .. N-1]; */
static smoe_status log_ratio_clamped(size_t N, const double *r, const double *q, double *l)
{
    double lse;
    smoe_status status = smoe_logsumexp(N, r, &lse);
    if (status != SMOE_OK) return status;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, l[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        l[i] = (r[i] - lse) - smoe_log(q[i] > least_q ? q[i] : least_q);
    return finite_or_overflow(N, l);
}

smoe_status smoe_distill_kl_clamped(size_t T, size_t N, size_t K, const double *r, const double *s,
                                    const size_t *index, double *p, double *q, double *loss, double *work)
{
    smoe_status status = both_policies(T, N, K, r, s, index, p, q, work);
    double sum = 0;
    /*@ loop invariant 0 <= t <= T;
        loop invariant T == 0 || K == 0 || K > N ==> status == SMOE_EINVAL;
        loop assigns t, status, sum, work[0 .. 4*N-1];
        loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        /*@ assert t*N + N <= T*N; */
        status = log_ratio_clamped(N, r + t * N, q + t * N, work);
        /*@ loop invariant 0 <= i <= N; loop assigns i, sum; loop variant N - i; */
        for (size_t i = 0; i < N && status == SMOE_OK; i++)
            sum = fma(p[t * N + i], work[i], sum);
    }
    if (status != SMOE_OK) return status;
    *loss = sum / (double)T;                                            /* (C.9), kl-clamped */
    return finite_or_overflow(1, loss);
}

smoe_status smoe_distill_kl_clamped_vjp(size_t T, size_t N, const double *r, const double *p, const double *q,
                                        double dloss, double *dr, double *work)
{
    if (T == 0 || N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(T * N, r) || !smoe_all_finite(T * N, p) || !smoe_all_finite(T * N, q)) return SMOE_EDOM;
    if (!isfinite(dloss)) return SMOE_EDOM;
    smoe_status status = SMOE_OK;
    /*@ loop invariant 0 <= t <= T;
        loop assigns t, status, dr[0 .. T*N-1], work[0 .. 4*N-1];
        loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        /*@ assert t*N + N <= T*N; */
        double *dp = work, *l = work + N;
        status = log_ratio_clamped(N, r + t * N, q + t * N, l);
        if (status != SMOE_OK) return status;
        /*@ loop invariant 0 <= i <= N; loop assigns i, work[0 .. N-1]; loop variant N - i; */
        for (size_t i = 0; i < N; i++)
            dp[i] = dloss / (double)T * l[i];       /* and a constant, which the softmax does not see */
        status = finite_or_overflow(N, dp);
        if (status == SMOE_OK) status = smoe_softmax_vjp(N, p + t * N, dp, dr + t * N);
    }
    return status;
}

smoe_status smoe_distill_kl_clamped_target_vjp(size_t T, size_t N, size_t K, const double *p, const double *q,
                                               const size_t *index, double dloss, double *ds, double *work)
{
    smoe_status status = check_distill(T, N, K, 0, p, q, index);
    if (status == SMOE_OK && !isfinite(dloss)) status = SMOE_EDOM;
    /*@ loop invariant 0 <= t <= T;
        loop invariant T == 0 || K == 0 || K > N ==> status == SMOE_EINVAL;
        loop invariant status == SMOE_OK ==> 0 < K <= N && T > 0;
        loop invariant status == SMOE_OK ==> \forall integer a; 0 <= a < T*K ==> index[a] < N;
        loop assigns t, status, ds[0 .. T*N-1], work[0 .. 4*N-1];
        loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        /*@ assert t*N + N <= T*N && t*K + K <= T*K; */
        const double *pt = p + t * N, *qt = q + t * N;
        /*@ loop invariant 0 <= i <= N; loop assigns i, work[0 .. N-1]; loop variant N - i; */
        for (size_t i = 0; i < N; i++)
            work[i] = qt[i] > least_q ? -(dloss / (double)T * pt[i] / qt[i]) : 0;
        status = finite_or_overflow(N, work);
        if (status == SMOE_OK) status = smoe_target_masked_vjp(N, K, qt, index + t * K, work, ds + t * N, work + N);
    }
    return status;
}

/* --- C.10 --- */

smoe_status smoe_compete_fractions(smoe_count which, size_t S, size_t N, size_t K, size_t A, const size_t *index,
                                   size_t *count, double *f)
{
    if (A == 0 || (which != SMOE_COUNT_ALL && which != SMOE_COUNT_FIRST)) return SMOE_EINVAL;
    smoe_status status = which == SMOE_COUNT_ALL ? smoe_expert_load(S * K, N, index, count)
                                                 : smoe_expert_load_first(S * K, K, N, index, count);
    if (status != SMOE_OK) return status;
    return smoe_load_fraction(A, N, count, f);
}

smoe_status smoe_compete_balance(smoe_count which, size_t B, size_t S, size_t N, size_t K, size_t A, const double *s,
                                 const size_t *index, size_t *count, double *f, double *q, double *P, double *loss)
{
    if (B == 0 || S == 0 || K == 0 || K > N || A == 0) return SMOE_EINVAL;
    if (which != SMOE_COUNT_ALL && which != SMOE_COUNT_FIRST) return SMOE_EINVAL;
    if (!smoe_all_finite(B * S * N, s) || !all_below(B * S * K, index, N)) return SMOE_EDOM;
    /*@ loop invariant 0 <= b <= B; loop assigns b, count[0 .. N-1], f[0 .. B*N-1]; loop variant B - b; */
    for (size_t b = 0; b < B; b++) {
        /*@ assert b*N + N <= B*N && b*S + S <= B*S && b*S*K + S*K <= B*S*K; */
        /*@ assert (size_t)(b*S) == b*S && (size_t)(b*S*K) == b*S*K && (size_t)(b*N) == b*N; */
        smoe_status status = smoe_compete_fractions(which, S, N, K, A, index + b * S * K, count, f + b * N);
        if (status != SMOE_OK) return status;
    }
    return smoe_balance_loss(B, S, N, s, f, q, P, loss);                /* (C.10) */
}

smoe_status smoe_compete_balance_vjp(size_t B, size_t S, size_t N, const double *f, const double *q, double dloss,
                                     double *ds, double *work)
{
    if (B == 0 || S == 0 || N == 0) return SMOE_EINVAL;
    /*@ loop invariant 0 <= k <= B*N; loop assigns k, work[0 .. B*N-1]; loop variant B*N - k; */
    for (size_t k = 0; k < B * N; k++)
        work[k] = 0;                                                    /* nothing else reaches P */
    return smoe_balance_loss_vjp(B, S, N, f, q, dloss, work, work + B * N, ds);
}

/* --- C.11 --- */

smoe_status smoe_mix_scores(size_t n, double share, const double *response, const double *r, double *s)
{
    if (!smoe_all_finite(1, &share) || !smoe_all_finite(n, response) || !smoe_all_finite(n, r)) return SMOE_EDOM;
    /*@ loop invariant 0 <= k <= n;
        loop assigns k, s[0 .. n-1]; loop variant n - k; */
    for (size_t k = 0; k < n; k++)
        s[k] = (1 - share) * response[k] + share * r[k];                /* (C.11) */
    return finite_or_overflow(n, s);
}

smoe_status smoe_mix_scores_vjp(size_t n, double share, const double *ds, double *dresponse, double *dr)
{
    if (!smoe_all_finite(1, &share) || !smoe_all_finite(n, ds)) return SMOE_EDOM;
    /*@ loop invariant 0 <= k <= n;
        loop assigns k, dresponse[0 .. n-1], dr[0 .. n-1]; loop variant n - k; */
    for (size_t k = 0; k < n; k++) {
        dresponse[k] = (1 - share) * ds[k];                             /* (C.11') */
        dr[k] = share * ds[k];
    }
    return smoe_all_finite(n, dresponse) && smoe_all_finite(n, dr) ? SMOE_OK : SMOE_EOVRFLW;
}

/* --- C.12 --- */

/* Are all coins in [0, 1)? */
/*@ requires \valid_read(u + (0 .. n-1));
    assigns \nothing; */
static bool coins(size_t n, const double *u)
{
    /*@ loop invariant 0 <= k <= n;
        loop assigns k; loop variant n - k; */
    for (size_t k = 0; k < n; k++)
        if (!(u[k] >= 0 && u[k] < 1)) return false;
    return true;
}

smoe_status smoe_compete_lambda(size_t n, const double *t, const double *u, double *lambda, size_t *compete)
{
    if (!smoe_all_finite(n, t) || !smoe_all_finite(n, u) || !coins(n, u)) return SMOE_EDOM;
    /*@ loop invariant 0 <= k <= n;
        loop invariant \forall integer j; 0 <= j < k ==> t[j] >= 0;
        loop assigns k; loop variant n - k; */
    for (size_t k = 0; k < n; k++)
        if (t[k] < 0) return SMOE_EDOM;
    /*@ loop invariant 0 <= k <= n;
        loop invariant \forall integer j; 0 <= j < k ==> compete[j] <= 1;
        loop assigns k, lambda[0 .. n-1], compete[0 .. n-1]; loop variant n - k; */
    for (size_t k = 0; k < n; k++) {
        /*@ assert t[k] >= 0; */
        lambda[k] = 2 / (2 + sqrt(t[k] + 1));                           /* (C.12) */
        compete[k] = u[k] < lambda[k] ? 1 : 0;
    }
    return SMOE_OK;
}

/* --- C.13 --- */

/* The nearest slot before i, else the nearest after it, where fewer than cap layers compete and this one does not; F if
 * there is none. */
/*@ requires \valid_read(load + (0 .. F-1)) && \valid_read(compete + (0 .. F-1)) && i < F;
    assigns \nothing;
    ensures \result <= F;
    ensures \result < F ==> load[\result] < cap && compete[\result] == 0; */
static size_t free_slot(size_t F, size_t cap, size_t i, const size_t *load, const size_t *compete)
{
    /*@ loop invariant 0 <= j <= i;
        loop assigns j; loop variant j; */
    for (size_t j = i; j > 0; j--)
        if (load[j - 1] < cap && compete[j - 1] == 0) return j - 1;
    /*@ loop invariant i < j <= F;
        loop assigns j; loop variant F - j; */
    for (size_t j = i + 1; j < F; j++)
        if (load[j] < cap && compete[j] == 0) return j;
    return F;
}

/*@ requires \valid_read(u + (0 .. F-1)) && \valid_read(load + (0 .. F-1));
    assigns \nothing;
    ensures \result == SMOE_OK || \result == SMOE_EDOM;
    ensures \result == SMOE_OK ==> \forall integer i; 0 <= i < F ==> load[i] <= cap; */
static smoe_status check_slots(size_t F, size_t cap, double rate, const double *u, const size_t *load)
{
    if (!(rate >= 0 && rate <= 1) || !smoe_all_finite(F, u) || !coins(F, u)) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= F;
        loop invariant \forall integer j; 0 <= j < i ==> load[j] <= cap;
        loop assigns i; loop variant F - i; */
    for (size_t i = 0; i < F; i++)
        if (load[i] > cap) return SMOE_EDOM;
    return SMOE_OK;
}

smoe_status smoe_schedule_layer_mended(size_t F, size_t cap, double rate, const double *u, size_t *load,
                                       size_t *compete, size_t *lost)
{
    if (check_slots(F, cap, rate, u, load) != SMOE_OK) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= F;
        loop invariant \forall integer j; 0 <= j < i ==> compete[j] == 0;
        loop assigns i, compete[0 .. F-1]; loop variant F - i; */
    for (size_t i = 0; i < F; i++)
        compete[i] = 0;
    size_t none = 0;
    /*@ loop invariant 0 <= i <= F && none <= i;
        loop invariant \forall integer j; 0 <= j < F ==> compete[j] <= 1 && load[j] <= cap;
        loop invariant \forall integer j; 0 <= j < F ==> load[j] == \at(load[j], Pre) + compete[j];
        loop assigns i, none, load[0 .. F-1], compete[0 .. F-1]; loop variant F - i; */
    for (size_t i = 0; i < F; i++) {
        if (!(u[i] < rate)) continue;
        size_t j = load[i] < cap && compete[i] == 0 ? i : free_slot(F, cap, i, load, compete);
        if (j < F) {
            compete[j] = 1;                                             /* (C.13) */
            load[j]++;
        } else {
            none++;
        }
    }
    *lost = none;
    return SMOE_OK;
}

smoe_status smoe_schedule_layer_published(size_t F, size_t cap, double rate, const double *u, size_t *load,
                                          size_t *compete, size_t *lost)
{
    if (check_slots(F, cap, rate, u, load) != SMOE_OK) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= F;
        loop invariant \forall integer j; 0 <= j < i ==> compete[j] == 0;
        loop assigns i, compete[0 .. F-1]; loop variant F - i; */
    for (size_t i = 0; i < F; i++)
        compete[i] = 0;
    size_t none = 0;
    /*@ loop invariant 0 <= i <= F && none <= i;
        loop invariant \forall integer j; 0 <= j < F ==> compete[j] <= 1 && load[j] <= cap;
        loop assigns i, none, load[0 .. F-1], compete[0 .. F-1]; loop variant F - i; */
    for (size_t i = 0; i < F; i++) {
        if (!(u[i] < rate)) continue;
        size_t j = load[i] < cap ? i : free_slot(F, cap, i, load, compete);     /* does not ask for compete[i] */
        if (j < F) {
            none += compete[j];
            compete[j] = 1;                                             /* (C.13), as published */
            load[j]++;
        } else {
            none++;
        }
    }
    *lost = none;
    return SMOE_OK;
}

smoe_status smoe_schedule(smoe_collision collision, size_t L, size_t S, size_t cap, double rate, double warm_up,
                          const double *u, size_t *compete, size_t *load, size_t *lost)
{
    /*@ assert \forall integer l; 0 <= l < L ==> l*S + S <= L*S; */
    if (collision != SMOE_COLLISION_MENDED && collision != SMOE_COLLISION_PUBLISHED) return SMOE_EINVAL;
    if (!(warm_up >= 0 && warm_up <= 1) || !(rate >= 0 && rate <= 1) || !coins(L * S, u)) return SMOE_EDOM;
    /*@ assert 0 <= warm_up * (double)S <= (double)S; */
    size_t W = (size_t)floor(warm_up * (double)S);
    /*@ assert W <= S; */
    /*@ loop invariant 0 <= i <= S;
        loop assigns i, load[0 .. S-1]; loop variant S - i; */
    for (size_t i = 0; i < S; i++)
        load[i] = 0;
    /*@ loop invariant 0 <= l <= L;
        loop assigns l, compete[0 .. L*S-1], load[0 .. S-1], lost[0 .. L-1]; loop variant L - l; */
    for (size_t l = 0; l < L; l++) {
        /*@ assert l*S + S <= L*S; */
        /*@ loop invariant 0 <= i <= W;
            loop assigns i, compete[0 .. L*S-1]; loop variant W - i; */
        for (size_t i = 0; i < W; i++)
            compete[l * S + i] = 0;
        smoe_status status = collision == SMOE_COLLISION_MENDED
                                 ? smoe_schedule_layer_mended(S - W, cap, rate, u + l * S + W, load + W,
                                                              compete + l * S + W, &lost[l])
                                 : smoe_schedule_layer_published(S - W, cap, rate, u + l * S + W, load + W,
                                                                 compete + l * S + W, &lost[l]);
        if (status != SMOE_OK) return status;
    }
    return SMOE_OK;
}

/* --- C.14 --- */

smoe_status smoe_task_loss(size_t n, const double *y, const double *target, double *loss)
{
    if (n == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(n, y) || !smoe_all_finite(n, target)) return SMOE_EDOM;
    double sum = 0;
    /*@ loop invariant 0 <= k <= n;
        loop assigns k, sum; loop variant n - k; */
    for (size_t k = 0; k < n; k++)
        sum = fma(y[k] - target[k], y[k] - target[k], sum);
    *loss = sum / (double)n;                                            /* (C.14), task */
    return finite_or_overflow(1, loss);
}

smoe_status smoe_task_loss_vjp(size_t n, const double *y, const double *target, double dloss, double *dy)
{
    if (n == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(n, y) || !smoe_all_finite(n, target) || !smoe_all_finite(1, &dloss)) return SMOE_EDOM;
    double c = 2 * dloss / (double)n;
    /*@ loop invariant 0 <= k <= n;
        loop assigns k, dy[0 .. n-1]; loop variant n - k; */
    for (size_t k = 0; k < n; k++)
        dy[k] = c * (y[k] - target[k]);                                 /* (C.14'), task */
    return finite_or_overflow(n, dy);
}

/* SMOE_EDOM for a target that is not finite, asked only of a step that makes sense. */
static smoe_status check_train(const smoe_layer_shape *shape, const smoe_compete_options *opt, const smoe_layer_in *in,
                               const double *target)
{
    smoe_status status = check_step(shape, opt, in);
    if (status != SMOE_OK) return status;
    return smoe_all_finite(shape->T * shape->d, target) ? SMOE_OK : SMOE_EDOM;
}

smoe_status smoe_train_compete(const smoe_layer_shape *shape, const smoe_compete_options *opt, const smoe_layer_in *in,
                               const double *target, const smoe_compete_out *out, double *task,
                               const smoe_compete_kept *kept)
{
    smoe_status status = check_train(shape, opt, in, target);
    if (status == SMOE_OK) status = smoe_compete_step(shape, opt, in, out, kept);
    if (status == SMOE_OK) status = smoe_task_loss(shape->T * shape->d, out->y, target, task);
    if (status != SMOE_OK) return status;
    *out->loss = opt->c_task * *task + opt->c_distill * *out->distill + opt->c_diversity * *out->diversity +
                 opt->c_balance * *out->balance;                                                        /* (C.14) */
    return finite_or_overflow(1, out->loss);
}

smoe_status smoe_train_router(const smoe_layer_shape *shape, const smoe_compete_options *opt, const smoe_layer_in *in,
                              const double *target, const smoe_compete_out *out, double *task,
                              const smoe_router_kept *kept)
{
    if (!order_is_known(shape)) return SMOE_EINVAL;
    smoe_status status = check_train(shape, opt, in, target);
    if (status == SMOE_OK) status = smoe_router_step(shape, opt, in, out, kept);
    if (status == SMOE_OK) status = smoe_task_loss(shape->T * shape->d, out->y, target, task);
    if (status != SMOE_OK) return status;
    *out->loss = opt->c_task * *task + opt->c_balance * *out->balance + opt->c_zloss * *out->zloss;     /* (C.14) */
    return finite_or_overflow(1, out->loss);
}

/* dy [T,d] = the cotangent of y, plus what the task adds to it. */
static smoe_status task_vjp(const smoe_layer_shape *shape, const smoe_compete_options *opt, const double *target,
                            const smoe_compete_out *out, const smoe_compete_cot *cot, double dtask, double *dy)
{
    size_t n = shape->T * shape->d;
    if (!isfinite(dtask) || !smoe_all_finite(n, cot->y) || !cot_is_finite(cot)) return SMOE_EDOM;
    double g = total(dtask, opt->c_task, cot->loss);
    if (!smoe_all_finite(1, &g)) return SMOE_EOVRFLW;
    smoe_status status = smoe_task_loss_vjp(n, out->y, target, g, dy);
    return status == SMOE_OK ? add(n, cot->y, dy) : status;
}

smoe_status smoe_train_compete_vjp(const smoe_layer_shape *shape, const smoe_compete_options *opt,
                                   const smoe_layer_in *in, const double *target, const smoe_compete_out *out,
                                   const smoe_compete_kept *kept, const smoe_compete_cot *cot, double dtask,
                                   const smoe_layer_grad *grad, double *work)
{
    smoe_status status = check_train(shape, opt, in, target);
    if (status == SMOE_OK) status = task_vjp(shape, opt, target, out, cot, dtask, work);
    if (status != SMOE_OK) return status;
    const smoe_compete_cot all = {work, cot->weight, cot->loss, cot->distill, cot->diversity, cot->balance, cot->zloss};
    return smoe_compete_step_vjp(shape, opt, in, out, kept, &all, grad, work + shape->T * shape->d);
}

smoe_status smoe_train_router_vjp(const smoe_layer_shape *shape, const smoe_compete_options *opt,
                                  const smoe_layer_in *in, const double *target, const smoe_compete_out *out,
                                  const smoe_router_kept *kept, const smoe_compete_cot *cot, double dtask,
                                  const smoe_layer_grad *grad, double *work)
{
    if (!order_is_known(shape)) return SMOE_EINVAL;
    smoe_status status = check_train(shape, opt, in, target);
    if (status == SMOE_OK) status = task_vjp(shape, opt, target, out, cot, dtask, work);
    if (status != SMOE_OK) return status;
    const smoe_compete_cot all = {work, cot->weight, cot->loss, cot->distill, cot->diversity, cot->balance, cot->zloss};
    return smoe_router_step_vjp(shape, opt, in, out, kept, &all, grad, work + shape->T * shape->d);
}
