/* Gate and weights: spec/02-gate.md. */
#include "gate.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "expert.h"

/* --- G.1 --- */

smoe_status smoe_gate_linear(size_t T, size_t d, size_t N, const double *x, const double *wr, const double *br,
                             double *r)
{
    if (d == 0 || N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(T * d, x) || !smoe_all_finite(N * d, wr) || !smoe_all_finite(N, br)) return SMOE_EDOM;
    smoe_matmul_nt(T, N, d, x, wr, r);
    smoe_add_bias(T, N, br, r);                                         /* r = Wr x + br   (G.1) */
    return smoe_all_finite(T * N, r) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_gate_linear_vjp(size_t T, size_t d, size_t N, const double *x, const double *wr, const double *dr,
                                 double *dx, double *dwr, double *dbr)
{
    if (d == 0 || N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(T * d, x) || !smoe_all_finite(N * d, wr) || !smoe_all_finite(T * N, dr)) return SMOE_EDOM;
    smoe_bias_vjp(T, N, dr, dbr);                                       /* dbr = sum_t dr_t */
    smoe_matmul_tn(N, d, T, dr, x, dwr);                                /* dWr = sum_t dr_t x_t' */
    smoe_matmul_nn(T, d, N, dr, wr, dx);                                /* dx = Wr' dr */
    bool finite = smoe_all_finite(T * d, dx) && smoe_all_finite(N * d, dwr) && smoe_all_finite(N, dbr);
    return finite ? SMOE_OK : SMOE_EOVRFLW;
}

/* --- G.2, G.3, G.4 for one token --- */

/* What the vjps ask of their inputs; `kept` is weight or p. */
/*@ requires \valid_read(index + (0 .. K-1)) && \valid_read(kept + (0 .. n-1)) && \valid_read(dweight + (0 .. K-1));
    assigns \nothing;
    ensures K == 0 || K > N ==> \result == SMOE_EINVAL;
    ensures 0 < K <= N && (\forall integer j; 0 <= j < K ==> index[j] < N) && smoe_finites(kept, n) &&
              smoe_finites(dweight, K) ==> \result == SMOE_OK;
    ensures 0 < K <= N && !((\forall integer j; 0 <= j < K ==> index[j] < N) && smoe_finites(kept, n) &&
              smoe_finites(dweight, K)) ==> \result == SMOE_EDOM; */
static smoe_status check_vjp(size_t N, size_t K, const size_t *index, size_t n, const double *kept,
                             const double *dweight)
{
    if (K == 0 || K > N) return SMOE_EINVAL;
    /*@ loop invariant 0 <= j <= K && \forall integer l; 0 <= l < j ==> index[l] < N;
        loop assigns j; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        if (index[j] >= N) return SMOE_EDOM;
    return smoe_all_finite(n, kept) && smoe_all_finite(K, dweight) ? SMOE_OK : SMOE_EDOM;
}

smoe_status smoe_weights_topk_softmax(size_t N, size_t K, const double *r,
                                      size_t *index, double *weight, double *margin, double *value)
{
    smoe_status status = smoe_topk(N, K, r, index, value, margin);      /* I = TopK(r) */
    if (status != SMOE_OK) return status;
    return smoe_softmax(K, value, weight);                              /* weight = softmax(r_I)   (G.2) */
}

smoe_status smoe_weights_topk_softmax_vjp(size_t N, size_t K, const size_t *index, const double *weight,
                                          const double *dweight, double *dr, double *dvalue)
{
    smoe_status status = check_vjp(N, K, index, K, weight, dweight);
    if (status != SMOE_OK) return status;
    status = smoe_softmax_vjp(K, weight, dweight, dvalue);
    if (status != SMOE_OK) return status;
    return smoe_topk_vjp(N, K, index, dvalue, dr);
}

smoe_status smoe_weights_softmax_topk(size_t N, size_t K, const double *r,
                                      size_t *index, double *weight, double *margin, double *p)
{
    smoe_status status = smoe_topk(N, K, r, index, weight, margin);     /* I = TopK(r); weight holds r_I for a moment */
    if (status != SMOE_OK) return status;
    status = smoe_softmax(N, r, p);                                     /* p = softmax(r) */
    if (status != SMOE_OK) return status;
    /*@ loop invariant 0 <= j <= K; loop assigns j, weight[0 .. K-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        weight[j] = p[index[j]];                                        /* weight_j = p_{I_j}   (G.3) */
    //@ assert \forall integer i; 0 <= i < N ==> r[i] == \at(r[i], Pre);
    return SMOE_OK;
}

smoe_status smoe_weights_softmax_topk_vjp(size_t N, size_t K, const size_t *index, const double *p,
                                          const double *dweight, double *dr, double *dp)
{
    smoe_status status = check_vjp(N, K, index, N, p, dweight);
    if (status != SMOE_OK) return status;
    status = smoe_topk_vjp(N, K, index, dweight, dp);                   /* dp_{I_j} = dweight_j, 0 elsewhere */
    if (status != SMOE_OK) return status;
    return smoe_softmax_vjp(N, p, dp, dr);                              /* dr_i = p_i (dp_i - <p, dp>) */
}

smoe_status smoe_weights_softmax_topk_renorm(size_t N, size_t K, const double *r,
                                             size_t *index, double *weight, double *margin, double *p)
{
    smoe_status status = smoe_weights_softmax_topk(N, K, r, index, weight, margin, p);
    if (status != SMOE_OK) return status;
    double S = smoe_sum(K, weight);                                     /* S = sum_l p_{I_l} >= 1/N */
    /*@ loop invariant 0 <= j <= K; loop assigns j, weight[0 .. K-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        weight[j] /= S;                                                 /* weight_j = p_{I_j} / S   (G.4) */
    return SMOE_OK;
}

smoe_status smoe_weights_softmax_topk_renorm_vjp(size_t N, size_t K, const size_t *index, const double *weight,
                                                 const double *dweight, double *dr, double *dvalue)
{
    return smoe_weights_topk_softmax_vjp(N, K, index, weight, dweight, dr, dvalue); /* spec G.4, line 5 */
}

/* --- T tokens --- */

/*@ assigns \nothing; */
static bool order_exists(smoe_weight_order order)
{
    return order == SMOE_TOPK_SOFTMAX || order == SMOE_SOFTMAX_TOPK || order == SMOE_SOFTMAX_TOPK_RENORM;
}

smoe_status smoe_gate_weights(smoe_weight_order order, size_t T, size_t N, size_t K, const double *r,
                              size_t *index, double *weight, double *margin, double *p)
{
    if (K == 0 || K > N || !order_exists(order)) return SMOE_EINVAL;
    if (!smoe_all_finite(T * N, r)) return SMOE_EDOM;
    smoe_status status = SMOE_OK;
    /*@ loop invariant 0 <= t <= T;
        loop invariant status == SMOE_OK || status == SMOE_EINVAL || status == SMOE_EDOM || status == SMOE_EOVRFLW;
        loop assigns t, status, index[0 .. T*K-1], weight[0 .. T*K-1], margin[0 .. T-1], p[0 .. T*N-1];
        loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        //@ assert t*N + N <= T*N && t*K + K <= T*K;
        const double *rt = r + t * N;
        size_t *It = index + t * K;
        double *wt = weight + t * K, *pt = p + t * N;
        if (order == SMOE_TOPK_SOFTMAX)
            status = smoe_weights_topk_softmax(N, K, rt, It, wt, &margin[t], pt);
        else if (order == SMOE_SOFTMAX_TOPK)
            status = smoe_weights_softmax_topk(N, K, rt, It, wt, &margin[t], pt);
        else
            status = smoe_weights_softmax_topk_renorm(N, K, rt, It, wt, &margin[t], pt);
    }
    return status;
}

/* G.3's vjp reads all of p, the others' read the weights alone (and p's rows are partly unwritten for G.2). */
/*@ requires smoe_size(T*N) && smoe_size(T*K) && \valid_read(index + (0 .. T*K-1));
    requires \valid_read(weight + (0 .. T*K-1)) && \valid_read(p + (0 .. T*N-1)) && \valid_read(dweight + (0 .. T*K-1));
    assigns \nothing;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM;
    ensures \result == SMOE_OK ==> 0 < K <= N && \forall integer a; 0 <= a < T*K ==> index[a] < N; */
static smoe_status check_weights_vjp(smoe_weight_order order, size_t T, size_t N, size_t K, const size_t *index,
                                     const double *weight, const double *p, const double *dweight)
{
    if (K == 0 || K > N || !order_exists(order)) return SMOE_EINVAL;
    /*@ loop invariant 0 <= a <= T*K && \forall integer l; 0 <= l < a ==> index[l] < N;
        loop assigns a; loop variant T*K - a; */
    for (size_t a = 0; a < T * K; a++)
        if (index[a] >= N) return SMOE_EDOM;
    bool finite = order == SMOE_SOFTMAX_TOPK ? smoe_all_finite(T * N, p) : smoe_all_finite(T * K, weight);
    return finite && smoe_all_finite(T * K, dweight) ? SMOE_OK : SMOE_EDOM;
}

smoe_status smoe_gate_weights_vjp(smoe_weight_order order, size_t T, size_t N, size_t K, const size_t *index,
                                  const double *weight, const double *p, const double *dweight,
                                  double *dr, double *work)
{
    smoe_status status = check_weights_vjp(order, T, N, K, index, weight, p, dweight);
    /*@ loop invariant 0 <= t <= T;
        loop invariant status == SMOE_OK || status == SMOE_EINVAL || status == SMOE_EDOM || status == SMOE_EOVRFLW;
        loop invariant status == SMOE_OK ==> 0 < K <= N;
        loop assigns t, status, dr[0 .. T*N-1], work[0 .. N-1];
        loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        //@ assert t*N + N <= T*N && t*K + K <= T*K;
        const size_t *It = index + t * K;
        const double *wt = weight + t * K, *pt = p + t * N, *dwt = dweight + t * K;
        double *drt = dr + t * N;
        if (order == SMOE_TOPK_SOFTMAX)
            status = smoe_weights_topk_softmax_vjp(N, K, It, wt, dwt, drt, work);
        else if (order == SMOE_SOFTMAX_TOPK)
            status = smoe_weights_softmax_topk_vjp(N, K, It, pt, dwt, drt, work);
        else
            status = smoe_weights_softmax_topk_renorm_vjp(N, K, It, wt, dwt, drt, work);
    }
    return status;
}

/* --- G.5 --- */

smoe_status smoe_jitter(size_t n, const double *x, const double *noise, double *xn)
{
    if (!smoe_all_finite(n, x) || !smoe_all_finite(n, noise)) return SMOE_EDOM;
    /*@ loop invariant 0 <= k <= n;
        loop assigns k, xn[0 .. n-1]; loop variant n - k; */
    for (size_t k = 0; k < n; k++)
        xn[k] = x[k] * noise[k];                                        /* (G.5) */
    return smoe_all_finite(n, xn) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_gate_jitter(size_t T, size_t d, size_t N, const double *x, const double *noise, const double *wr,
                             const double *br, double *r, double *xn)
{
    if (d == 0 || N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(N * d, wr) || !smoe_all_finite(N, br)) return SMOE_EDOM;
    smoe_status status = smoe_jitter(T * d, x, noise, xn);
    return status == SMOE_OK ? smoe_gate_linear(T, d, N, xn, wr, br, r) : status;
}

smoe_status smoe_gate_jitter_vjp(size_t T, size_t d, size_t N, const double *noise, const double *xn,
                                 const double *wr, const double *dr, double *dx, double *dwr, double *dbr)
{
    if (d == 0 || N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(T * d, noise)) return SMOE_EDOM;
    smoe_status status = smoe_gate_linear_vjp(T, d, N, xn, wr, dr, dx, dwr, dbr); /* dx holds dxn for a moment */
    if (status != SMOE_OK) return status;
    /*@ loop invariant 0 <= k <= T*d; loop assigns k, dx[0 .. T*d-1]; loop variant T*d - k; */
    for (size_t k = 0; k < T * d; k++)
        dx[k] *= noise[k];                                              /* dx = dxn * noise */
    return smoe_all_finite(T * d, dx) ? SMOE_OK : SMOE_EOVRFLW;
}

/* --- G.6 --- */

smoe_status smoe_noisy_scores(size_t n, const double *clean, const double *raw, const double *noise, double epsilon,
                              double *std, double *noisy)
{
    //@ assert smoe_finites(&epsilon, 1) <==> smoe_finite(epsilon);
    if (!smoe_all_finite(1, &epsilon) || !(epsilon >= 0)) return SMOE_EDOM;
    if (!smoe_all_finite(n, clean) || !smoe_all_finite(n, raw) || !smoe_all_finite(n, noise)) return SMOE_EDOM;
    /*@ loop invariant 0 <= k <= n;
        loop assigns k, std[0 .. n-1], noisy[0 .. n-1]; loop variant n - k; */
    for (size_t k = 0; k < n; k++) {
        std[k] = smoe_softplus(raw[k]) + epsilon;
        noisy[k] = clean[k] + noise[k] * std[k];                        /* (G.6) */
    }
    return smoe_all_finite(n, std) && smoe_all_finite(n, noisy) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_noisy_scores_vjp(size_t n, const double *raw, const double *noise, const double *dnoisy,
                                  double *draw)
{
    if (!smoe_all_finite(n, raw) || !smoe_all_finite(n, noise) || !smoe_all_finite(n, dnoisy)) return SMOE_EDOM;
    /*@ loop invariant 0 <= k <= n;
        loop assigns k, draw[0 .. n-1]; loop variant n - k; */
    for (size_t k = 0; k < n; k++)
        draw[k] = dnoisy[k] * noise[k] * smoe_softplus_deriv(raw[k]);   /* dstd = dnoisy noise */
    return smoe_all_finite(n, draw) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_gate_noisy(size_t T, size_t d, size_t N, size_t K, double epsilon, const double *x, const double *wg,
                            const double *wn, const double *noise, double *clean, double *raw, double *std,
                            double *noisy, size_t *index, double *weight, double *margin, double *value)
{
    if (d == 0 || K == 0 || K > N) return SMOE_EINVAL;
    if (!smoe_all_finite(T * d, x) || !smoe_all_finite(N * d, wg) || !smoe_all_finite(N * d, wn)) return SMOE_EDOM;
    if (!smoe_all_finite(T * N, noise) || !smoe_all_finite(1, &epsilon) || !(epsilon >= 0)) return SMOE_EDOM;
    smoe_matmul_nt(T, N, d, x, wg, clean);                              /* clean = x Wg' */
    smoe_matmul_nt(T, N, d, x, wn, raw);                                /* raw = x Wn' */
    if (!smoe_all_finite(T * N, clean) || !smoe_all_finite(T * N, raw)) return SMOE_EOVRFLW;
    smoe_status status = smoe_noisy_scores(T * N, clean, raw, noise, epsilon, std, noisy);
    /*@ loop invariant 0 <= t <= T;
        loop invariant status == SMOE_OK || status == SMOE_EINVAL || status == SMOE_EDOM || status == SMOE_EOVRFLW;
        loop assigns t, status, index[0 .. T*K-1], weight[0 .. T*K-1], margin[0 .. T-1], value[0 .. K-1];
        loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        //@ ghost row_is_inside(t, T, N);
        //@ ghost row_is_inside(t, T, K);
        status = smoe_weights_topk_softmax(N, K, noisy + t * N, index + t * K, weight + t * K, &margin[t], value);
    }
    return status;
}

smoe_status smoe_gate_noisy_vjp(size_t T, size_t d, size_t N, size_t K, const double *x, const double *wg,
                                const double *wn, const double *noise, const double *raw, const size_t *index,
                                const double *weight, const double *dweight, double *dx, double *dwg, double *dwn,
                                double *dnoisy, double *draw, double *dvalue)
{
    if (d == 0 || K == 0 || K > N) return SMOE_EINVAL;
    /*@ loop invariant 0 <= a <= T*K && \forall integer l; 0 <= l < a ==> index[l] < N;
        loop assigns a; loop variant T*K - a; */
    for (size_t a = 0; a < T * K; a++)
        if (index[a] >= N) return SMOE_EDOM;
    if (!smoe_all_finite(T * d, x) || !smoe_all_finite(N * d, wg) || !smoe_all_finite(N * d, wn)) return SMOE_EDOM;
    if (!smoe_all_finite(T * N, noise) || !smoe_all_finite(T * N, raw)) return SMOE_EDOM;
    if (!smoe_all_finite(T * K, weight) || !smoe_all_finite(T * K, dweight)) return SMOE_EDOM;
    smoe_status status = SMOE_OK;
    /*@ loop invariant 0 <= t <= T;
        loop invariant status == SMOE_OK || status == SMOE_EINVAL || status == SMOE_EDOM || status == SMOE_EOVRFLW;
        loop assigns t, status, dnoisy[0 .. T*N-1], dvalue[0 .. K-1];
        loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++)
        //@ assert t*N + N <= T*N && t*K + K <= T*K;
        status = smoe_weights_topk_softmax_vjp(N, K, index + t * K, weight + t * K, dweight + t * K, dnoisy + t * N,
                                               dvalue);
    if (status == SMOE_OK) status = smoe_noisy_scores_vjp(T * N, raw, noise, dnoisy, draw);
    if (status != SMOE_OK) return status;
    smoe_matmul_tn(N, d, T, dnoisy, x, dwg);                            /* dWg = sum_t dnoisy_t x_t' */
    smoe_matmul_tn(N, d, T, draw, x, dwn);                              /* dWn = sum_t draw_t x_t' */
    smoe_matmul_nn(T, d, N, dnoisy, wg, dx);                            /* dx = Wg' dnoisy ... */
    smoe_matmul_nn_acc(T, d, N, draw, wn, dx);                          /* ... + Wn' draw, the same chain */
    bool finite = smoe_all_finite(T * d, dx) && smoe_all_finite(N * d, dwg) && smoe_all_finite(N * d, dwn);
    return finite ? SMOE_OK : SMOE_EOVRFLW;
}

/* --- G.7 --- */

smoe_status smoe_weights_sigmoid(size_t N, size_t K, const double *r,
                                 size_t *index, double *weight, double *margin, double *value)
{
    smoe_status status = smoe_topk(N, K, r, index, value, margin);      /* I = TopK(r) */
    if (status != SMOE_OK) return status;
    /*@ loop invariant 0 <= j <= K; loop assigns j, weight[0 .. K-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        weight[j] = smoe_sigmoid(value[j]);                             /* (G.7) */
    //@ assert \forall integer i; 0 <= i < N ==> r[i] == \at(r[i], Pre);
    return SMOE_OK;
}

smoe_status smoe_weights_sigmoid_vjp(size_t N, size_t K, const size_t *index, const double *value,
                                     const double *dweight, double *dr, double *dvalue)
{
    smoe_status status = check_vjp(N, K, index, K, value, dweight);
    if (status != SMOE_OK) return status;
    /*@ loop invariant 0 <= j <= K; loop assigns j, dvalue[0 .. K-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        dvalue[j] = dweight[j] * smoe_sigmoid_deriv(value[j]);
    return smoe_topk_vjp(N, K, index, dvalue, dr);
}

/* Does the largest of r have a sigmoid above 0?  It is always selected. */
/*@ requires N > 0 && \valid_read(r + (0 .. N-1));
    assigns \nothing; */
static bool sigmoid_survives(size_t N, const double *r)
{
    double m = r[0];
    /*@ loop invariant 1 <= i <= N; loop assigns i, m; loop variant N - i; */
    for (size_t i = 1; i < N; i++)
        if (r[i] > m) m = r[i];
    return smoe_sigmoid(m) > 0;
}

smoe_status smoe_weights_sigmoid_norm(size_t N, size_t K, const double *r,
                                      size_t *index, double *weight, double *margin, double *value)
{
    if (K == 0 || K > N) return SMOE_EINVAL;
    if (!smoe_all_finite(N, r) || !sigmoid_survives(N, r)) return SMOE_EDOM;
    smoe_status status = smoe_weights_sigmoid(N, K, r, index, weight, margin, value);
    if (status != SMOE_OK) return status;
    double S = smoe_sum(K, weight);                                     /* S = sum_l sigmoid(r_{I_l}) > 0 */
    /*@ loop invariant 0 <= j <= K; loop assigns j, weight[0 .. K-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        weight[j] /= S;                                                 /* (G.7) normalised */
    //@ assert \forall integer i; 0 <= i < N ==> r[i] == \at(r[i], Pre);
    return SMOE_OK;
}

smoe_status smoe_weights_sigmoid_norm_vjp(size_t N, size_t K, const size_t *index, const double *value,
                                          const double *weight, const double *dweight, double *dr, double *dvalue)
{
    smoe_status status = check_vjp(N, K, index, K, value, dweight);
    if (status != SMOE_OK) return status;
    if (!smoe_all_finite(K, weight)) return SMOE_EDOM;
    status = smoe_softmax_vjp(K, weight, dweight, dvalue);              /* weight_j (dweight_j - <weight, dweight>) */
    if (status != SMOE_OK) return status;
    /*@ loop invariant 0 <= j <= K; loop assigns j, dvalue[0 .. K-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        dvalue[j] *= smoe_sigmoid(-value[j]);                           /* spec G.7, line 4 */
    return smoe_topk_vjp(N, K, index, dvalue, dr);
}

/*@ assigns \nothing; */
static bool form_exists(smoe_sigmoid_form form) { return form == SMOE_SIGMOID_NORM || form == SMOE_SIGMOID_PLAIN; }

smoe_status smoe_gate_sigmoid(smoe_sigmoid_form form, size_t T, size_t N, size_t K, const double *r,
                              size_t *index, double *weight, double *margin, double *value)
{
    if (K == 0 || K > N || !form_exists(form)) return SMOE_EINVAL;
    if (!smoe_all_finite(T * N, r)) return SMOE_EDOM;
    /*@ loop invariant 0 <= t <= T; loop assigns t; loop variant T - t; */
    for (size_t t = 0; t < T && form == SMOE_SIGMOID_NORM; t++)
        //@ assert t*N + N <= T*N;
        if (!sigmoid_survives(N, r + t * N)) return SMOE_EDOM;
    smoe_status status = SMOE_OK;
    /*@ loop invariant 0 <= t <= T;
        loop invariant status == SMOE_OK || status == SMOE_EINVAL || status == SMOE_EDOM || status == SMOE_EOVRFLW;
        loop assigns t, status, index[0 .. T*K-1], weight[0 .. T*K-1], margin[0 .. T-1], value[0 .. T*K-1];
        loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        //@ assert t*N + N <= T*N && t*K + K <= T*K;
        const double *rt = r + t * N;
        size_t *It = index + t * K;
        double *wt = weight + t * K, *vt = value + t * K;
        status = form == SMOE_SIGMOID_NORM ? smoe_weights_sigmoid_norm(N, K, rt, It, wt, &margin[t], vt)
                                           : smoe_weights_sigmoid(N, K, rt, It, wt, &margin[t], vt);
    }
    return status;
}

smoe_status smoe_gate_sigmoid_vjp(smoe_sigmoid_form form, size_t T, size_t N, size_t K, const size_t *index,
                                  const double *value, const double *weight, const double *dweight,
                                  double *dr, double *dvalue)
{
    if (K == 0 || K > N || !form_exists(form)) return SMOE_EINVAL;
    /*@ loop invariant 0 <= a <= T*K && \forall integer l; 0 <= l < a ==> index[l] < N;
        loop assigns a; loop variant T*K - a; */
    for (size_t a = 0; a < T * K; a++)
        if (index[a] >= N) return SMOE_EDOM;
    if (!smoe_all_finite(T * K, value) || !smoe_all_finite(T * K, weight)) return SMOE_EDOM;
    if (!smoe_all_finite(T * K, dweight)) return SMOE_EDOM;
    smoe_status status = SMOE_OK;
    /*@ loop invariant 0 <= t <= T;
        loop invariant status == SMOE_OK || status == SMOE_EINVAL || status == SMOE_EDOM || status == SMOE_EOVRFLW;
        loop assigns t, status, dr[0 .. T*N-1], dvalue[0 .. K-1];
        loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        //@ assert t*N + N <= T*N && t*K + K <= T*K;
        const size_t *It = index + t * K;
        const double *vt = value + t * K, *wt = weight + t * K, *dwt = dweight + t * K;
        status = form == SMOE_SIGMOID_NORM ? smoe_weights_sigmoid_norm_vjp(N, K, It, vt, wt, dwt, dr + t * N, dvalue)
                                           : smoe_weights_sigmoid_vjp(N, K, It, vt, dwt, dr + t * N, dvalue);
    }
    return status;
}

/* --- G.8 --- */

smoe_status smoe_gate_frozen_token(size_t d, size_t N, size_t K, const double *x, const double *wr, double *r,
                                   size_t *index, double *weight, double *margin, double *value)
{
    if (d == 0 || K == 0 || K > N) return SMOE_EINVAL;
    if (!smoe_all_finite(d, x) || !smoe_all_finite(N * d, wr)) return SMOE_EDOM;
    smoe_matmul_nt(1, N, d, x, wr, r);                                  /* r = Wr x   (G.8) */
    if (!smoe_all_finite(N, r)) return SMOE_EOVRFLW;
    return smoe_weights_topk_softmax(N, K, r, index, weight, margin, value);
}

smoe_status smoe_gate_frozen_token_vjp(size_t d, size_t N, size_t K, const double *wr, const size_t *index,
                                       const double *weight, const double *dweight, double *dx, double *dr,
                                       double *dvalue)
{
    if (d == 0) return SMOE_EINVAL;
    smoe_status status = check_vjp(N, K, index, K, weight, dweight);
    if (status != SMOE_OK) return status;
    if (!smoe_all_finite(N * d, wr)) return SMOE_EDOM;
    status = smoe_weights_topk_softmax_vjp(N, K, index, weight, dweight, dr, dvalue);
    if (status != SMOE_OK) return status;
    smoe_matmul_nn(1, d, N, dr, wr, dx);                                /* dx = Wr' dr;  Wr is frozen */
    return smoe_all_finite(d, dx) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_gate_frozen(size_t T, size_t d, size_t N, size_t K, const double *x, const double *wr, double *r,
                             size_t *index, double *weight, double *margin, double *value)
{
    if (d == 0 || K == 0 || K > N) return SMOE_EINVAL;
    if (!smoe_all_finite(T * d, x) || !smoe_all_finite(N * d, wr)) return SMOE_EDOM;
    smoe_status status = SMOE_OK;
    /*@ loop invariant 0 <= t <= T;
        loop invariant status == SMOE_OK || status == SMOE_EINVAL || status == SMOE_EDOM || status == SMOE_EOVRFLW;
        loop assigns t, status, r[0 .. T*N-1], index[0 .. T*K-1], weight[0 .. T*K-1], margin[0 .. T-1], value[0 .. K-1];
        loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++)
        //@ assert t*d + d <= T*d;
        //@ assert t*N + N <= T*N;
        //@ assert t*K + K <= T*K;
        status = smoe_gate_frozen_token(d, N, K, x + t * d, wr, r + t * N, index + t * K, weight + t * K, &margin[t],
                                        value);
    return status;
}

smoe_status smoe_gate_frozen_vjp(size_t T, size_t d, size_t N, size_t K, const double *wr, const size_t *index,
                                 const double *weight, const double *dweight, double *dx, double *dr, double *dvalue)
{
    if (d == 0 || K == 0 || K > N) return SMOE_EINVAL;
    /*@ loop invariant 0 <= a <= T*K && \forall integer l; 0 <= l < a ==> index[l] < N;
        loop assigns a; loop variant T*K - a; */
    for (size_t a = 0; a < T * K; a++)
        if (index[a] >= N) return SMOE_EDOM;
    if (!smoe_all_finite(N * d, wr) || !smoe_all_finite(T * K, weight)) return SMOE_EDOM;
    if (!smoe_all_finite(T * K, dweight)) return SMOE_EDOM;
    smoe_status status = SMOE_OK;
    /*@ loop invariant 0 <= t <= T;
        loop invariant status == SMOE_OK || status == SMOE_EINVAL || status == SMOE_EDOM || status == SMOE_EOVRFLW;
        loop assigns t, status, dx[0 .. T*d-1], dr[0 .. N-1], dvalue[0 .. K-1];
        loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++)
        //@ assert t*d + d <= T*d;
        //@ assert t*K + K <= T*K;
        status = smoe_gate_frozen_token_vjp(d, N, K, wr, index + t * K, weight + t * K, dweight + t * K, dx + t * d,
                                            dr, dvalue);
    return status;
}

/* --- G.9 --- */

/* round(D t / steps) for t < steps; D steps fits a size_t. */
/*@ requires 0 <= t < steps && D * steps <= SIZE_MAX;
    assigns \nothing;
    ensures \result <= D;
    ensures t == 0 ==> \result == 0; */
static size_t rounded_share(size_t D, size_t t, size_t steps, smoe_half half)
{
    const size_t whole = D * t / steps, rest = D * t % steps, gap = steps - rest;
    if (rest > gap) return whole + 1;
    if (rest < gap) return whole;
    return half == SMOE_HALF_AWAY || whole % 2 == 1 ? whole + 1 : whole;
}

smoe_status smoe_dropout_schedule(size_t n, const int64_t *step, size_t k_min, size_t k_max, size_t steps,
                                  smoe_half half, size_t *k)
{
    if (k_min == 0 || k_max < k_min || steps == 0) return SMOE_EINVAL;
    if (half != SMOE_HALF_EVEN && half != SMOE_HALF_AWAY) return SMOE_EINVAL;
    const size_t D = k_max - k_min;
    if (D > SIZE_MAX / steps) return SMOE_EINVAL;
    //@ assert D * steps <= SIZE_MAX;
    /*@ loop invariant 0 <= i <= n;
        loop invariant \forall integer l; 0 <= l < i ==> k_min <= k[l] <= k_max;
        loop invariant \forall integer l; 0 <= l < i && step[l] <= 0 ==> k[l] == k_min;
        loop invariant \forall integer l; 0 <= l < i && step[l] >= steps ==> k[l] == k_max;
        loop assigns i, k[0 .. n-1]; loop variant n - i; */
    for (size_t i = 0; i < n; i++) {
        const size_t t = step[i] > 0 ? (size_t)step[i] : 0;
        k[i] = t >= steps ? k_max : k_min + rounded_share(D, t, steps, half); /* (G.9) */
    }
    return SMOE_OK;
}

/* --- G.10 --- */

/* Takes a place of an expert if the choice was sent and there is one: 1, else 0. */
/*@ requires \valid(taken) && *taken < SIZE_MAX;
    assigns *taken;
    ensures \result <= 1 && (sent == 0 ==> \result == 0) && (capacity == 0 && sent != 0 ==> \result == 1);
    ensures *taken == \old(*taken) + \result;
    ensures capacity > 0 && \old(*taken) <= capacity ==> *taken <= capacity; */
static size_t take_place(size_t capacity, size_t sent, size_t *taken)
{
    if (sent == 0 || (capacity > 0 && *taken >= capacity)) return 0;
    *taken += 1;
    return 1;
}

smoe_status smoe_gshard_capacity(size_t T, size_t N, size_t capacity, const size_t *index, size_t *kept,
                                 size_t *count)
{
    /*@ loop invariant 0 <= a <= 2*T && \forall integer l; 0 <= l < a ==> index[l] < N;
        loop assigns a; loop variant 2*T - a; */
    for (size_t a = 0; a < 2 * T; a++)
        if (index[a] >= N) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= N && \forall integer l; 0 <= l < i ==> count[l] == 0;
        loop assigns i, count[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        count[i] = 0;
    /*@ loop invariant 0 <= t <= T && \forall integer l; 0 <= l < N ==> count[l] <= t;
        loop invariant capacity > 0 ==> \forall integer l; 0 <= l < N ==> count[l] <= capacity;
        loop assigns t, kept[0 .. 2*T-1], count[0 .. N-1]; loop variant T - t; */
    for (size_t t = 0; t < T; t++)
        kept[2 * t] = take_place(capacity, kept[2 * t], &count[index[2 * t]]); /* (G.10) first choices ... */
    /*@ loop invariant 0 <= t <= T && \forall integer l; 0 <= l < N ==> count[l] <= T + t;
        loop invariant capacity > 0 ==> \forall integer l; 0 <= l < N ==> count[l] <= capacity;
        loop assigns t, kept[0 .. 2*T-1], count[0 .. N-1]; loop variant T - t; */
    for (size_t t = 0; t < T; t++)
        kept[2 * t + 1] = take_place(capacity, kept[2 * t + 1], &count[index[2 * t + 1]]); /* ... before second ones */
    return SMOE_OK;
}

/* Is the second choice sent, given its share of the two probabilities? */
/*@ assigns \nothing; */
static bool second_is_sent(smoe_second policy, double share, double u, double threshold)
{
    if (policy == SMOE_SECOND_RANDOM) return 2 * share > u;
    if (policy == SMOE_SECOND_THRESHOLD) return share > threshold;
    return policy == SMOE_SECOND_ALL;
}

/*@ assigns \nothing; */
static bool gshard_exists(smoe_second policy, smoe_norm_when norm)
{
    return (policy == SMOE_SECOND_RANDOM || policy == SMOE_SECOND_THRESHOLD || policy == SMOE_SECOND_ALL ||
            policy == SMOE_SECOND_NONE) &&
           (norm == SMOE_NORM_BEFORE || norm == SMOE_NORM_AFTER);
}

smoe_status smoe_gate_gshard(size_t T, size_t N, size_t capacity, smoe_second policy, double threshold,
                             smoe_norm_when norm, const double *r, const double *u, size_t *index, double *weight,
                             size_t *kept, double *margin, double *share, double *p, size_t *count)
{
    if (N < 2 || !gshard_exists(policy, norm)) return SMOE_EINVAL;
    if (!smoe_all_finite(T * N, r) || !smoe_all_finite(T, u) || !smoe_all_finite(1, &threshold)) return SMOE_EDOM;
    /*@ loop invariant 0 <= t <= T;
        loop assigns t, index[0 .. 2*T-1], share[0 .. 2*T-1], margin[0 .. T-1], p[0 .. N-1], kept[0 .. 2*T-1];
        loop variant T - t; */
    for (size_t t = 0; t < T; t++) {
        //@ assert t*N + N <= T*N;
        smoe_status status =
            smoe_weights_softmax_topk_renorm(N, 2, r + t * N, index + 2 * t, share + 2 * t, &margin[t], p);
        if (status != SMOE_OK) return status;
        kept[2 * t] = 1;
        kept[2 * t + 1] = second_is_sent(policy, share[2 * t + 1], u[t], threshold);
    }
    smoe_status status = smoe_gshard_capacity(T, N, capacity, index, kept, count);
    if (status != SMOE_OK) return status;
    /*@ loop invariant 0 <= t <= T; loop assigns t, weight[0 .. 2*T-1]; loop variant T - t; */
    for (size_t t = 0; t < T; t++) {
        bool both = kept[2 * t] && kept[2 * t + 1];
        /*@ loop invariant 2*t <= a <= 2*t + 2; loop assigns a, weight[0 .. 2*T-1]; loop variant 2*t + 2 - a; */
        for (size_t a = 2 * t; a < 2 * t + 2; a++) /* one of two that is kept alone has all of what is kept */
            weight[a] = norm == SMOE_NORM_AFTER && !both ? (double)kept[a] : share[a] * (double)kept[a]; /* (G.10) */
    }
    return SMOE_OK;
}

smoe_status smoe_gate_gshard_vjp(size_t T, size_t N, smoe_norm_when norm, const size_t *index, const size_t *kept,
                                 const double *share, const double *weight, const double *dweight, double *dr)
{
    if (N < 2 || !gshard_exists(SMOE_SECOND_ALL, norm)) return SMOE_EINVAL;
    /*@ loop invariant 0 <= a <= 2*T && \forall integer l; 0 <= l < a ==> index[l] < N;
        loop assigns a; loop variant 2*T - a; */
    for (size_t a = 0; a < 2 * T; a++)
        if (index[a] >= N || kept[a] > 1) return SMOE_EDOM;
    if (!smoe_all_finite(2 * T, share) || !smoe_all_finite(2 * T, weight)) return SMOE_EDOM;
    if (!smoe_all_finite(2 * T, dweight)) return SMOE_EDOM;
    smoe_status status = SMOE_OK;
    /*@ loop invariant 0 <= t <= T;
        loop invariant status == SMOE_OK || status == SMOE_EINVAL || status == SMOE_EDOM || status == SMOE_EOVRFLW;
        loop assigns t, status, dr[0 .. T*N-1];
        loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        //@ assert t*N + N <= T*N && 2*t + 1 < 2*T;
        const double *w = (norm == SMOE_NORM_BEFORE ? share : weight) + 2 * t;
        double dw[2], dvalue[2];
        /*@ loop invariant 0 <= j <= 2; loop assigns j, dw[0 .. 1]; loop variant 2 - j; */
        for (size_t j = 0; j < 2; j++) /* before: a dropped choice's weight is 0 whatever its share is */
            dw[j] = norm == SMOE_NORM_BEFORE && !kept[2 * t + j] ? 0 : dweight[2 * t + j];
        status = smoe_weights_softmax_topk_renorm_vjp(N, 2, index + 2 * t, w, dw, dr + t * N, dvalue);
    }
    return status;
}

/* --- G.11 --- */

smoe_status smoe_hyper_weights(size_t m, size_t g, size_t n, const double *e, const double *v1, const double *v2,
                               double *z, double *wr)
{
    if (m == 0 || g == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(m, e) || !smoe_all_finite(g * m, v1) || !smoe_all_finite(n * g, v2)) return SMOE_EDOM;
    smoe_matmul_nt(1, g, m, e, v1, z);
    if (!smoe_all_finite(g, z)) return SMOE_EOVRFLW;
    /*@ loop invariant 0 <= a <= g && \forall integer l; 0 <= l < a ==> z[l] >= 0;
        loop assigns a, z[0 .. g-1]; loop variant g - a; */
    for (size_t a = 0; a < g; a++)
        z[a] = z[a] > 0 ? z[a] : 0;                                     /* z = ReLU(V1 e) */
    smoe_matmul_nt(1, n, g, z, v2, wr);                                 /* Wr = V2 z   (G.11) */
    return smoe_all_finite(n, wr) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_hyper_weights_vjp(size_t m, size_t g, size_t n, const double *v1, const double *v2, const double *z,
                                   const double *dwr, double *de, double *dz)
{
    if (m == 0 || g == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(g * m, v1) || !smoe_all_finite(n * g, v2) || !smoe_all_finite(g, z)) return SMOE_EDOM;
    if (!smoe_all_finite(n, dwr)) return SMOE_EDOM;
    smoe_matmul_nn(1, g, n, dwr, v2, dz);                               /* dz = V2' dWr */
    if (!smoe_all_finite(g, dz)) return SMOE_EOVRFLW;
    /*@ loop invariant 0 <= a <= g; loop assigns a, dz[0 .. g-1]; loop variant g - a; */
    for (size_t a = 0; a < g; a++)
        dz[a] = z[a] > 0 ? dz[a] : 0;                                   /* ReLU'(0) = 0 */
    smoe_matmul_nn(1, m, g, dz, v1, de);                                /* de = V1' dz */
    return smoe_all_finite(m, de) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_gate_hyper(size_t T, size_t d, size_t N, size_t m, size_t g, const double *x, const double *e,
                            const double *v1, const double *v2, double *r, double *z, double *wr)
{
    if (d == 0 || N == 0) return SMOE_EINVAL;
    if (m == 0 || g == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(T * d, x)) return SMOE_EDOM;
    smoe_status status = smoe_hyper_weights(m, g, N * d, e, v1, v2, z, wr);
    if (status != SMOE_OK) return status;
    smoe_matmul_nt(T, N, d, x, wr, r);                                  /* r = Wr x */
    return smoe_all_finite(T * N, r) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_gate_hyper_vjp(size_t T, size_t d, size_t N, size_t m, size_t g, const double *x, const double *v1,
                                const double *v2, const double *z, const double *wr, const double *dr, double *dx,
                                double *de, double *dwr, double *dz)
{
    if (d == 0 || N == 0 || m == 0 || g == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(T * d, x) || !smoe_all_finite(g * m, v1) || !smoe_all_finite(N * d * g, v2)) return SMOE_EDOM;
    if (!smoe_all_finite(g, z) || !smoe_all_finite(N * d, wr) || !smoe_all_finite(T * N, dr)) return SMOE_EDOM;
    smoe_matmul_nn(T, d, N, dr, wr, dx);                                /* dx = Wr' dr */
    smoe_matmul_tn(N, d, T, dr, x, dwr);                                /* dWr = sum_t dr_t x_t' */
    if (!smoe_all_finite(T * d, dx) || !smoe_all_finite(N * d, dwr)) return SMOE_EOVRFLW;
    return smoe_hyper_weights_vjp(m, g, N * d, v1, v2, z, dwr, de, dz);
}

/* --- G.12 --- */

smoe_status smoe_unit(size_t d, const double *x, double *norm, double *u)
{
    if (d == 0) return SMOE_EINVAL;
    const smoe_status status = smoe_norm(d, x, norm);
    if (status != SMOE_OK) return status;
    /*@ loop invariant 0 <= k <= d; loop assigns k, u[0 .. d-1]; loop variant d - k; */
    for (size_t k = 0; k < d; k++)
        u[k] = *norm > 0 ? x[k] / *norm : 0;                            /* u = x / |x|   (G.12) */
    return SMOE_OK;
}

/*@ assigns \nothing;
    ensures \result <==> smoe_finite(x); */
static bool finite_number(double x)
{
    return -DBL_MAX <= x && x <= DBL_MAX;
}

smoe_status smoe_unit_vjp(size_t d, double norm, const double *u, const double *du, double *dx)
{
    if (d == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(d, u) || !smoe_all_finite(d, du) || !finite_number(norm) || norm < 0) return SMOE_EDOM;
    const double along = smoe_dot(d, u, du);                            /* <u, du> */
    /*@ loop invariant 0 <= k <= d; loop assigns k, dx[0 .. d-1]; loop variant d - k; */
    for (size_t k = 0; k < d; k++)
        dx[k] = norm > 0 ? (du[k] - along * u[k]) / norm : 0;           /* dx = (du - <u, du> u) / |x| */
    return smoe_all_finite(d, dx) ? SMOE_OK : SMOE_EOVRFLW;
}

/*@ assigns \nothing; */
static bool positive(double x) { return finite_number(x) && x > 0; }

/*@ requires \valid_read(in) && smoe_size(in->T*in->c) && smoe_size(in->N*in->c);
    requires \valid_read(in->z + (0 .. in->T*in->c-1)) && \valid_read(in->e + (0 .. in->N*in->c-1));
    assigns \nothing;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM; */
static smoe_status check_cosine(const smoe_cosine_in *in)
{
    if (in->c == 0 || in->N == 0) return SMOE_EINVAL;
    if (in->input != SMOE_COSINE_NORMALISED && in->input != SMOE_COSINE_RAW) return SMOE_EINVAL;
    const bool finite = smoe_all_finite(in->T * in->c, in->z) && smoe_all_finite(in->N * in->c, in->e);
    return finite && positive(in->norm) ? SMOE_OK : SMOE_EDOM;
}

/*@ requires smoe_size(n*d) && \valid_read(x + (0 .. n*d-1)) && \valid(norm + (0 .. n-1)) && \valid(u + (0 .. n*d-1));
    requires \separated(x + (0 .. n*d-1), norm + (0 .. n-1), u + (0 .. n*d-1));
    assigns norm[0 .. n-1], u[0 .. n*d-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
static smoe_status unit_rows(size_t n, size_t d, const double *x, double *norm, double *u)
{
    smoe_status status = SMOE_OK;
    /*@ loop invariant 0 <= a <= n;
        loop invariant status == SMOE_OK || status == SMOE_EINVAL || status == SMOE_EDOM || status == SMOE_EOVRFLW;
        loop assigns a, status, norm[0 .. n-1], u[0 .. n*d-1]; loop variant n - a; */
    for (size_t a = 0; a < n && status == SMOE_OK; a++)
        //@ assert a*d + d <= n*d;
        status = smoe_unit(d, x + a * d, &norm[a], u + a * d);
    return status;
}

/*@ requires smoe_size(n*d) && \valid_read(norm + (0 .. n-1)) && \valid_read(u + (0 .. n*d-1));
    requires \valid_read(du + (0 .. n*d-1)) && \valid(dx + (0 .. n*d-1));
    requires \separated(u + (0 .. n*d-1), dx + (0 .. n*d-1)) && \separated(du + (0 .. n*d-1), dx + (0 .. n*d-1));
    assigns dx[0 .. n*d-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
static smoe_status unit_rows_vjp(size_t n, size_t d, const double *norm, const double *u, const double *du, double *dx)
{
    smoe_status status = SMOE_OK;
    /*@ loop invariant 0 <= a <= n;
        loop invariant status == SMOE_OK || status == SMOE_EINVAL || status == SMOE_EDOM || status == SMOE_EOVRFLW;
        loop assigns a, status, dx[0 .. n*d-1]; loop variant n - a; */
    for (size_t a = 0; a < n && status == SMOE_OK; a++)
        //@ assert a*d + d <= n*d;
        status = smoe_unit_vjp(d, norm[a], u + a * d, du + a * d, dx + a * d);
    return status;
}

smoe_status smoe_cosine_scores(const smoe_cosine_in *in, const smoe_cosine_kept *kept, double *s)
{
    const size_t T = in->T, c = in->c, N = in->N;
    smoe_status status = check_cosine(in);
    if (status == SMOE_OK) status = unit_rows(N, c, in->e, kept->en, kept->v);
    if (status == SMOE_OK && in->input == SMOE_COSINE_NORMALISED) status = unit_rows(T, c, in->z, kept->zn, kept->u);
    if (status != SMOE_OK) return status;
    if (in->input == SMOE_COSINE_RAW)
        /*@ loop invariant 0 <= k <= T*c; loop assigns k, kept->u[0 .. T*c-1]; loop variant T*c - k; */
        for (size_t k = 0; k < T * c; k++) kept->u[k] = in->z[k];
    smoe_matmul_nt(T, N, c, kept->u, kept->v, s);
    /*@ loop invariant 0 <= k <= T*N; loop assigns k, s[0 .. T*N-1]; loop variant T*N - k; */
    for (size_t k = 0; k < T * N; k++) s[k] *= in->norm;                /* s_ti = norm <u_t, v_i>   (G.12) */
    return smoe_all_finite(T * N, s) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_cosine_scores_vjp(const smoe_cosine_in *in, const smoe_cosine_kept *kept, const double *ds, double *dz,
                                   double *de, double *work)
{
    const size_t T = in->T, c = in->c, N = in->N;
    smoe_status status = check_cosine(in);
    if (status != SMOE_OK) return status;
    if (!smoe_all_finite(T * N, ds) || !smoe_all_finite(N, kept->en)) return SMOE_EDOM;
    if (!smoe_all_finite(N * c, kept->v) || !smoe_all_finite(T * c, kept->u)) return SMOE_EDOM;
    if (in->input == SMOE_COSINE_NORMALISED && !smoe_all_finite(T, kept->zn)) return SMOE_EDOM;
    double *g = work, *du = g + T * N, *dv = du + T * c;
    /*@ loop invariant 0 <= k <= T*N; loop assigns k, g[0 .. T*N-1]; loop variant T*N - k; */
    for (size_t k = 0; k < T * N; k++) g[k] = in->norm * ds[k];
    smoe_matmul_nn(T, c, N, g, kept->v, du);                            /* du_t = sum_i g_ti v_i */
    smoe_matmul_tn(N, c, T, g, kept->u, dv);                            /* dv_i = sum_t g_ti u_t */
    if (!smoe_all_finite(T * c, du) || !smoe_all_finite(N * c, dv)) return SMOE_EOVRFLW;
    status = unit_rows_vjp(N, c, kept->en, kept->v, dv, de);
    if (in->input == SMOE_COSINE_NORMALISED)
        return status == SMOE_OK ? unit_rows_vjp(T, c, kept->zn, kept->u, du, dz) : status;
    /*@ loop invariant 0 <= k <= T*c; loop assigns k, dz[0 .. T*c-1]; loop variant T*c - k; */
    for (size_t k = 0; k < T * c; k++) dz[k] = du[k];
    return status;
}

/* q = s / tau after the selection on s; weight holds s_I for a moment. */
/*@ requires \valid_read(s + (0 .. N-1));
    requires \valid(index + (0 .. K-1)) && \valid(weight + (0 .. K-1)) && \valid(margin) && \valid(q + (0 .. N-1));
    requires \separated(s + (0 .. N-1), index + (0 .. K-1), weight + (0 .. K-1), margin, q + (0 .. N-1));
    assigns index[0 .. K-1], weight[0 .. K-1], *margin, q[0 .. N-1];
    ensures K == 0 || K > N ==> \result == SMOE_EINVAL;
    ensures 0 < K <= N && !(smoe_finites(s, N) && smoe_finite(tau) && tau > 0) ==> \result == SMOE_EDOM;
    ensures 0 < K <= N && smoe_finites(s, N) && smoe_finite(tau) && tau > 0 ==>
              \result == SMOE_OK || \result == SMOE_EOVRFLW;
    ensures \result == SMOE_OK ==> smoe_finites(q, N);
    ensures \result == SMOE_OK ==> \forall integer j; 0 <= j < K ==> index[j] < N;
    ensures \result == SMOE_OK ==> \forall integer a, b; 0 <= a < b < K ==> smoe_before(s, index[a], index[b]);
    ensures \result == SMOE_OK ==>
              \forall integer i; 0 <= i < N && !smoe_taken(index, K, i) ==> smoe_before(s, index[K-1], i); */
static smoe_status choose_and_temper(size_t N, size_t K, double tau, const double *s, size_t *index, double *weight,
                                     double *margin, double *q)
{
    if (K == 0 || K > N) return SMOE_EINVAL;
    if (!smoe_all_finite(N, s) || !finite_number(tau) || tau <= 0) return SMOE_EDOM;
    smoe_topk(N, K, s, index, weight, margin);                          /* I = TopK(s) */
    /*@ loop invariant 0 <= i <= N; loop assigns i, q[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        q[i] = s[i] / tau;
    //@ assert \forall integer i; 0 <= i < N ==> s[i] == \at(s[i], Pre);
    return smoe_all_finite(N, q) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_xmoe_softmax(size_t N, size_t K, double tau, const double *s, size_t *index, double *weight,
                              double *margin, double *q, double *p)
{
    smoe_status status = choose_and_temper(N, K, tau, s, index, weight, margin, q);
    if (status != SMOE_OK) return status;
    status = smoe_softmax(N, q, p);                                     /* p = softmax(s / tau) */
    if (status != SMOE_OK) return status;
    /*@ loop invariant 0 <= j <= K; loop assigns j, weight[0 .. K-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        weight[j] = p[index[j]];                                        /* weight_j = p_{I_j}   (G.12) */
    //@ assert \forall integer i; 0 <= i < N ==> s[i] == \at(s[i], Pre);
    return SMOE_OK;
}

/* From dq, in ds, on: dtau = -<dq, q> / tau, ds = dq / tau. */
/*@ requires \valid_read(q + (0 .. N-1)) && \valid(ds + (0 .. N-1)) && \valid(dtau);
    requires \separated(q + (0 .. N-1), ds + (0 .. N-1), dtau);
    assigns ds[0 .. N-1], *dtau;
    ensures \result == SMOE_OK || \result == SMOE_EOVRFLW; */
static smoe_status untemper(size_t N, double tau, const double *q, double *ds, double *dtau)
{
    *dtau = -(smoe_dot(N, ds, q) / tau);
    /*@ loop invariant 0 <= i <= N; loop assigns i, ds[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        ds[i] /= tau;
    return smoe_all_finite(N, ds) && finite_number(*dtau) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_xmoe_softmax_vjp(size_t N, size_t K, double tau, const size_t *index, const double *q, const double *p,
                                  const double *dweight, double *ds, double *dtau, double *dp)
{
    smoe_status status = check_vjp(N, K, index, N, p, dweight);
    if (status != SMOE_OK) return status;
    if (!smoe_all_finite(N, q) || !finite_number(tau) || tau <= 0) return SMOE_EDOM;
    status = smoe_topk_vjp(N, K, index, dweight, dp);                   /* dp_{I_j} = dweight_j, 0 elsewhere */
    if (status != SMOE_OK) return status;
    status = smoe_softmax_vjp(N, p, dp, ds);                            /* dq_i = p_i (dp_i - <p, dp>) */
    if (status != SMOE_OK) return status;
    return untemper(N, tau, q, ds, dtau);
}

smoe_status smoe_xmoe_sigmoid(size_t N, size_t K, double tau, const double *s, size_t *index, double *weight,
                              double *margin, double *q)
{
    const smoe_status status = choose_and_temper(N, K, tau, s, index, weight, margin, q);
    if (status != SMOE_OK) return status;
    /*@ loop invariant 0 <= j <= K; loop assigns j, weight[0 .. K-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        weight[j] = smoe_sigmoid(q[index[j]]);                          /* weight_j = sigmoid(s_{I_j} / tau)   (G.12) */
    //@ assert \forall integer i; 0 <= i < N ==> s[i] == \at(s[i], Pre);
    return SMOE_OK;
}

smoe_status smoe_xmoe_sigmoid_vjp(size_t N, size_t K, double tau, const size_t *index, const double *q,
                                  const double *dweight, double *ds, double *dtau)
{
    const smoe_status status = check_vjp(N, K, index, N, q, dweight);
    if (status != SMOE_OK) return status;
    if (!finite_number(tau) || tau <= 0) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= N; loop assigns i, ds[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        ds[i] = 0;
    /*@ loop invariant 0 <= j <= K; loop assigns j, ds[0 .. N-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        ds[index[j]] = smoe_sigmoid_deriv(q[index[j]]) * dweight[j];    /* dq_{I_j} = sigmoid'(q_{I_j}) dweight_j */
    return untemper(N, tau, q, ds, dtau);
}

static smoe_cosine_in cosine_of(const smoe_xmoe_in *in, const smoe_xmoe_out *out)
{
    return (smoe_cosine_in){in->input, in->T, in->c, in->N, in->norm, out->z, in->e};
}

static smoe_status check_xmoe(const smoe_xmoe_in *in)
{
    if (in->d == 0 || in->c == 0 || in->N == 0 || in->K == 0 || in->K > in->N) return SMOE_EINVAL;
    if (in->gate != SMOE_XMOE_SOFTMAX && in->gate != SMOE_XMOE_SIGMOID) return SMOE_EINVAL;
    if (in->input != SMOE_COSINE_NORMALISED && in->input != SMOE_COSINE_RAW) return SMOE_EINVAL;
    if (!smoe_all_finite(in->T * in->d, in->x) || !smoe_all_finite(in->c * in->d, in->w)) return SMOE_EDOM;
    return smoe_all_finite(in->N * in->c, in->e) && positive(in->norm) && positive(in->tau) ? SMOE_OK : SMOE_EDOM;
}

smoe_status smoe_gate_xmoe(const smoe_xmoe_in *in, const smoe_xmoe_out *out)
{
    const size_t T = in->T, N = in->N, K = in->K;
    smoe_status status = check_xmoe(in);
    if (status != SMOE_OK) return status;
    smoe_matmul_nt(T, in->c, in->d, in->x, in->w, out->z);              /* z_t = W x_t */
    if (!smoe_all_finite(T * in->c, out->z)) return SMOE_EOVRFLW;
    const smoe_cosine_in cosine = cosine_of(in, out);
    status = smoe_cosine_scores(&cosine, &out->cosine, out->s);
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        const double *st = out->s + t * N;
        size_t *It = out->index + t * K;
        double *wt = out->weight + t * K, *qt = out->q + t * N;
        if (in->gate == SMOE_XMOE_SOFTMAX)
            status = smoe_xmoe_softmax(N, K, in->tau, st, It, wt, &out->margin[t], qt, out->p + t * N);
        else
            status = smoe_xmoe_sigmoid(N, K, in->tau, st, It, wt, &out->margin[t], qt);
    }
    return status;
}

smoe_status smoe_gate_xmoe_vjp(const smoe_xmoe_in *in, const smoe_xmoe_out *out, const double *dweight,
                               const smoe_xmoe_grad *grad, double *work)
{
    const size_t T = in->T, d = in->d, c = in->c, N = in->N, K = in->K;
    smoe_status status = check_xmoe(in);
    if (status != SMOE_OK) return status;
    if (!smoe_all_finite(T * K, dweight)) return SMOE_EDOM;
    double *ds = work, *dz = ds + T * N, *rest = dz + T * c, dtau = 0, total = 0;
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        const size_t *It = out->index + t * K;
        const double *dwt = dweight + t * K, *qt = out->q + t * N;
        if (in->gate == SMOE_XMOE_SOFTMAX) /* rest is long enough for one token's dp: T*N with T >= 1 */
            status = smoe_xmoe_softmax_vjp(N, K, in->tau, It, qt, out->p + t * N, dwt, ds + t * N, &dtau, rest);
        else
            status = smoe_xmoe_sigmoid_vjp(N, K, in->tau, It, qt, dwt, ds + t * N, &dtau);
        total += dtau;                                                  /* dtau = sum_t dtau_t */
    }
    if (status != SMOE_OK) return status;
    const smoe_cosine_in cosine = cosine_of(in, out);
    status = smoe_cosine_scores_vjp(&cosine, &out->cosine, ds, dz, grad->e, rest);
    if (status != SMOE_OK) return status;
    *grad->tau = total;
    smoe_matmul_tn(c, d, T, dz, in->x, grad->w);                        /* dW = sum_t dz_t x_t' */
    smoe_matmul_nn(T, d, c, dz, in->w, grad->x);                        /* dx = W' dz */
    const bool finite = smoe_all_finite(T * d, grad->x) && smoe_all_finite(c * d, grad->w);
    return finite && finite_number(total) ? SMOE_OK : SMOE_EOVRFLW;
}

/* --- G.13 --- */

smoe_status smoe_damped(size_t d, double tau, const double *x, double *norm, double *u)
{
    double size = 0;
    if (d == 0) return SMOE_EINVAL;
    if (!finite_number(tau) || tau < 0) return SMOE_EDOM;
    const smoe_status status = smoe_norm(d, x, &size);
    if (status != SMOE_OK) return status;
    const double below = size + tau;
    if (below == 0) return SMOE_EDOM;
    *norm = size;
    /*@ loop invariant 0 <= k <= d; loop assigns k, u[0 .. d-1]; loop variant d - k; */
    for (size_t k = 0; k < d; k++)
        u[k] = x[k] / below;                                            /* u = x / (|x| + tau)   (G.13) */
    return finite_number(below) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_damped_vjp(size_t d, double tau, const double *x, double norm, const double *u, const double *du,
                            double *dx)
{
    if (d == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(d, x) || !smoe_all_finite(d, u) || !smoe_all_finite(d, du)) return SMOE_EDOM;
    if (!finite_number(norm) || norm < 0 || !finite_number(tau) || tau < 0) return SMOE_EDOM;
    const double below = norm + tau, along = smoe_dot(d, u, du);        /* |x| + tau, <u, du> */
    if (below == 0) return SMOE_EDOM;
    /*@ loop invariant 0 <= k <= d; loop assigns k, dx[0 .. d-1]; loop variant d - k; */
    for (size_t k = 0; k < d; k++) {
        const double n = norm > 0 ? x[k] / norm : 0;                    /* n = x / |x| */
        dx[k] = (du[k] - along * n) / below;                            /* dx = (du - <u, du> n) / (|x| + tau) */
    }
    return smoe_all_finite(d, dx) ? SMOE_OK : SMOE_EOVRFLW;
}

/* Without damping, a zero row has no direction. */
/*@ requires smoe_size(n*d) && \valid_read(x + (0 .. n*d-1));
    assigns \nothing; */
static bool some_row_is_zero(size_t n, size_t d, const double *x)
{
    /*@ loop invariant 0 <= a <= n; loop assigns a; loop variant n - a; */
    for (size_t a = 0; a < n; a++) {
        size_t zeros = 0;
        /*@ loop invariant 0 <= zeros <= d && a*d + d <= n*d; loop assigns zeros; loop variant d - zeros; */
        while (zeros < d && x[a * d + zeros] == 0) zeros++;
        if (zeros == d) return true;
    }
    return false;
}

/*@ requires smoe_size(T*d) && smoe_size(N*d) && \valid_read(x + (0 .. T*d-1)) && \valid_read(beta + (0 .. N*d-1));
    assigns \nothing;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM; */
static smoe_status check_perturbed(size_t T, size_t d, size_t N, double tau1, double tau2, const double *x,
                                   const double *beta)
{
    if (d == 0 || N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(T * d, x) || !smoe_all_finite(N * d, beta)) return SMOE_EDOM;
    if (!finite_number(tau1) || tau1 < 0 || !finite_number(tau2) || tau2 < 0) return SMOE_EDOM;
    if (tau1 == 0 && some_row_is_zero(N, d, beta)) return SMOE_EDOM;
    return tau2 == 0 && some_row_is_zero(T, d, x) ? SMOE_EDOM : SMOE_OK;
}

smoe_status smoe_gate_perturbed(size_t T, size_t d, size_t N, double tau1, double tau2, const double *x,
                                const double *beta, const smoe_perturbed_kept *kept, double *r)
{
    smoe_status status = check_perturbed(T, d, N, tau1, tau2, x, beta);
    /*@ loop invariant 0 <= t <= T;
        loop invariant status == SMOE_OK || status == SMOE_EINVAL || status == SMOE_EDOM || status == SMOE_EOVRFLW;
        loop assigns t, status, kept->xn[0 .. T-1], kept->u[0 .. T*d-1];
        loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++)
        //@ assert t*d + d <= T*d;
        status = smoe_damped(d, tau2, x + t * d, &kept->xn[t], kept->u + t * d);
    /*@ loop invariant 0 <= i <= N;
        loop invariant status == SMOE_OK || status == SMOE_EINVAL || status == SMOE_EDOM || status == SMOE_EOVRFLW;
        loop assigns i, status, kept->bn[0 .. N-1], kept->v[0 .. N*d-1];
        loop variant N - i; */
    for (size_t i = 0; i < N && status == SMOE_OK; i++)
        //@ assert i*d + d <= N*d;
        status = smoe_damped(d, tau1, beta + i * d, &kept->bn[i], kept->v + i * d);
    if (status == SMOE_OK) smoe_matmul_nt(T, N, d, kept->u, kept->v, r); /* r_ti = <u_t, v_i>   (G.13) */
    return status;                                                      /* |r| <= 1: no overflow */
}

smoe_status smoe_gate_perturbed_vjp(size_t T, size_t d, size_t N, double tau1, double tau2, const double *x,
                                    const double *beta, const smoe_perturbed_kept *kept, const double *dr, double *dx,
                                    double *dbeta, double *work)
{
    smoe_status status = check_perturbed(T, d, N, tau1, tau2, x, beta);
    if (status != SMOE_OK) return status;
    if (!smoe_all_finite(T * N, dr) || !smoe_all_finite(T, kept->xn) || !smoe_all_finite(N, kept->bn)) return SMOE_EDOM;
    if (!smoe_all_finite(T * d, kept->u) || !smoe_all_finite(N * d, kept->v)) return SMOE_EDOM;
    double *du = work, *dv = du + T * d;
    smoe_matmul_nn(T, d, N, dr, kept->v, du);                           /* du_t = sum_i dr_ti v_i */
    smoe_matmul_tn(N, d, T, dr, kept->u, dv);                           /* dv_i = sum_t dr_ti u_t */
    if (!smoe_all_finite(T * d, du) || !smoe_all_finite(N * d, dv)) return SMOE_EOVRFLW;
    /*@ loop invariant 0 <= t <= T;
        loop invariant status == SMOE_OK || status == SMOE_EINVAL || status == SMOE_EDOM || status == SMOE_EOVRFLW;
        loop assigns t, status, dx[0 .. T*d-1];
        loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++)
        //@ assert t*d + d <= T*d;
        status = smoe_damped_vjp(d, tau2, x + t * d, kept->xn[t], kept->u + t * d, du + t * d, dx + t * d);
    /*@ loop invariant 0 <= i <= N;
        loop invariant status == SMOE_OK || status == SMOE_EINVAL || status == SMOE_EDOM || status == SMOE_EOVRFLW;
        loop assigns i, status, dbeta[0 .. N*d-1];
        loop variant N - i; */
    for (size_t i = 0; i < N && status == SMOE_OK; i++)
        //@ assert i*d + d <= N*d;
        status = smoe_damped_vjp(d, tau1, beta + i * d, kept->bn[i], kept->v + i * d, dv + i * d, dbeta + i * d);
    return status;
}

/* --- G.14 --- */

smoe_status smoe_stable_choice(size_t N, const double *s, const double *chooser, size_t *index, double *weight,
                               double *margin)
{
    size_t a = 0;
    double value = 0, lead = 0;
    if (N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(N, s)) return SMOE_EDOM;
    const smoe_status status = smoe_topk(N, 1, chooser, &a, &value, &lead); /* a = argmax chooser */
    if (status != SMOE_OK) return status;
    //@ assert \forall integer i; 0 <= i < N && i != a ==> !smoe_taken(&a, 1, i);
    *index = a;
    *margin = lead;
    *weight = smoe_sigmoid(s[a]);                                       /* weight = sigmoid(s_a)   (G.14) */
    return SMOE_OK;
}

smoe_status smoe_stable_choice_vjp(size_t N, const double *s, size_t a, double dweight, double *ds)
{
    if (N == 0) return SMOE_EINVAL;
    if (a >= N || !smoe_all_finite(N, s) || !finite_number(dweight)) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, ds[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        ds[i] = 0;
    ds[a] = smoe_sigmoid_deriv(s[a]) * dweight;                         /* ds_a = sigmoid'(s_a) dweight */
    return SMOE_OK;                                                     /* a slope is at most 1/4: no overflow */
}

smoe_status smoe_gate_stable(smoe_stable_stage stage, size_t T, size_t d, size_t N, const double *x, const double *e,
                             const double *shat, double *s, size_t *index, double *weight, double *margin)
{
    if (d == 0 || N == 0 || (stage != SMOE_STABLE_LEARNING && stage != SMOE_STABLE_FROZEN)) return SMOE_EINVAL;
    if (!smoe_all_finite(T * d, x) || !smoe_all_finite(N * d, e) || !smoe_all_finite(T * N, shat)) return SMOE_EDOM;
    smoe_matmul_nt(T, N, d, x, e, s);                                   /* s_ti = <x_t, e_i>   (G.14) */
    if (!smoe_all_finite(T * N, s)) return SMOE_EOVRFLW;
    smoe_status status = SMOE_OK;
    /*@ loop invariant 0 <= t <= T;
        loop invariant status == SMOE_OK || status == SMOE_EINVAL || status == SMOE_EDOM || status == SMOE_EOVRFLW;
        loop invariant status == SMOE_OK ==> \forall integer u; 0 <= u < t ==> index[u] < N;
        loop assigns t, status, index[0 .. T-1], weight[0 .. T-1], margin[0 .. T-1];
        loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        //@ assert t*N + N <= T*N;
        const double *st = s + t * N, *chooser = stage == SMOE_STABLE_LEARNING ? st : shat + t * N;
        status = smoe_stable_choice(N, st, chooser, &index[t], &weight[t], &margin[t]);
    }
    return status;
}

smoe_status smoe_gate_stable_vjp(size_t T, size_t d, size_t N, const double *x, const double *e, const double *s,
                                 const size_t *index, const double *dweight, double *dx, double *de, double *work)
{
    if (d == 0 || N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(T * d, x) || !smoe_all_finite(N * d, e) || !smoe_all_finite(T, dweight)) return SMOE_EDOM;
    smoe_status status = SMOE_OK;
    /*@ loop invariant 0 <= t <= T;
        loop invariant status == SMOE_OK || status == SMOE_EINVAL || status == SMOE_EDOM || status == SMOE_EOVRFLW;
        loop assigns t, status, work[0 .. T*N-1];
        loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++)
        //@ assert t*N + N <= T*N;
        status = smoe_stable_choice_vjp(N, s + t * N, index[t], dweight[t], work + t * N);
    if (status != SMOE_OK) return status;
    smoe_matmul_tn(N, d, T, work, x, de);                               /* de = sum_t ds_t x_t' */
    smoe_matmul_nn(T, d, N, work, e, dx);                               /* dx = e' ds */
    return smoe_all_finite(T * d, dx) && smoe_all_finite(N * d, de) ? SMOE_OK : SMOE_EOVRFLW;
}

/* --- G.15 --- */

smoe_status smoe_cross_entropy(size_t N, const double *s, size_t a, double *lse, double *loss)
{
    if (N == 0) return SMOE_EINVAL;
    if (a >= N) return SMOE_EDOM;
    const smoe_status status = smoe_logsumexp(N, s, lse);
    if (status != SMOE_OK) return status;
    *loss = *lse - s[a];                                                /* -log softmax(s)_a   (G.15) */
    return finite_number(*loss) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_cross_entropy_vjp(size_t N, const double *s, size_t a, double lse, double dloss, double *ds)
{
    if (N == 0) return SMOE_EINVAL;
    if (a >= N) return SMOE_EDOM;
    const smoe_status status = smoe_logsumexp_vjp(N, s, lse, dloss, ds); /* dloss softmax(s)_i */
    if (status != SMOE_OK) return status;
    ds[a] -= dloss;                                                     /* dloss (softmax(s)_i - [i = a]) */
    return finite_number(ds[a]) ? SMOE_OK : SMOE_EOVRFLW;
}

static smoe_status check_distill(const smoe_stable_distill_in *in)
{
    if (in->V == 0 || in->m == 0 || in->N == 0) return SMOE_EINVAL;
    for (size_t t = 0; t < in->T; t++)
        if (in->token[t] >= in->V || in->target[t] >= in->N) return SMOE_EDOM;
    return smoe_all_finite(in->V * in->m, in->table) && smoe_all_finite(in->N * in->m, in->ehat) ? SMOE_OK : SMOE_EDOM;
}

smoe_status smoe_stable_distill(const smoe_stable_distill_in *in, double *h, double *shat, double *lse, double *loss)
{
    const size_t T = in->T, N = in->N, m = in->m;
    smoe_status status = check_distill(in);
    if (status != SMOE_OK) return status;
    for (size_t k = 0; k < T * m; k++) h[k] = in->table[in->token[k / m] * m + k % m];
    smoe_matmul_nt(T, N, m, h, in->ehat, shat);                         /* shat_ti = <table_{token_t}, ehat_i> */
    if (!smoe_all_finite(T * N, shat)) return SMOE_EOVRFLW;
    double sum = 0, share = 0;
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        status = smoe_cross_entropy(N, shat + t * N, in->target[t], &lse[t], &share);
        sum += share;                                                   /* sum_t -log softmax(shat_t)_a   (G.15) */
    }
    *loss = sum;
    return status == SMOE_OK && !finite_number(sum) ? SMOE_EOVRFLW : status;
}

smoe_status smoe_stable_distill_vjp(const smoe_stable_distill_in *in, const double *h, const double *shat,
                                    const double *lse, double dloss, double *dtable, double *dehat, double *work)
{
    const size_t T = in->T, N = in->N, m = in->m;
    smoe_status status = check_distill(in);
    if (status != SMOE_OK) return status;
    if (!finite_number(dloss)) return SMOE_EDOM;
    double *ds = work, *dh = ds + T * N;
    for (size_t t = 0; t < T && status == SMOE_OK; t++)
        status = smoe_cross_entropy_vjp(N, shat + t * N, in->target[t], lse[t], dloss, ds + t * N);
    if (status != SMOE_OK) return status;
    smoe_matmul_tn(N, m, T, ds, h, dehat);                              /* dehat_i = sum_t dshat_ti h_t */
    smoe_matmul_nn(T, m, N, ds, in->ehat, dh);                          /* dh_t = sum_i dshat_ti ehat_i */
    for (size_t k = 0; k < in->V * m; k++) dtable[k] = 0;
    for (size_t k = 0; k < T * m; k++) dtable[in->token[k / m] * m + k % m] += dh[k]; /* tokens ascending */
    return smoe_all_finite(in->V * m, dtable) && smoe_all_finite(N * m, dehat) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_stable_distill_mean(const smoe_stable_distill_in *in, double *h, double *shat, double *lse,
                                     double *loss)
{
    if (in->T == 0) return SMOE_EINVAL;
    const smoe_status status = smoe_stable_distill(in, h, shat, lse, loss);
    if (status == SMOE_OK) *loss /= (double)in->T;
    return status;
}

smoe_status smoe_stable_distill_mean_vjp(const smoe_stable_distill_in *in, const double *h, const double *shat,
                                         const double *lse, double dloss, double *dtable, double *dehat, double *work)
{
    if (in->T == 0) return SMOE_EINVAL;
    return smoe_stable_distill_vjp(in, h, shat, lse, dloss / (double)in->T, dtable, dehat, work);
}

/* --- G.16 --- */

double smoe_group_score(size_t n, const double *b)
{
    double first = b[0], second = 0;
    /*@ loop invariant 1 <= i <= n; loop assigns i, first, second; loop variant n - i; */
    for (size_t i = 1; i < n; i++) {
        if (i == 1 || b[i] > second) second = b[i];
        if (second > first) {
            const double swap = first;
            first = second;
            second = swap;
        }
    }
    return n > 1 ? first + second : first;                              /* the two largest of the group   (G.16) */
}

/*@ requires \valid_read(b + (0 .. n-1));
    assigns \nothing; */
static bool below_outside(size_t n, const double *b)
{
    /*@ loop invariant 0 <= i <= n; loop assigns i; loop variant n - i; */
    for (size_t i = 0; i < n; i++)
        if (!(fabs(b[i]) < 0x1p99)) return false;
    return true;
}

smoe_status smoe_group_limit(size_t N, size_t G, size_t kept, const double *b, double *score, size_t *group,
                             double *value, double *limited)
{
    if (G == 0 || N == 0 || N % G != 0 || kept == 0 || kept > G) return SMOE_EINVAL;
    if (!below_outside(N, b)) return SMOE_EDOM;
    const size_t n = N / G;
    double margin;
    //@ assert n > 0 && G * n == N;
    //@ assert \forall integer g; 0 <= g < G ==> g*n + n <= G*n;
    /*@ loop invariant 0 <= g <= G; loop assigns g, score[0 .. G-1]; loop variant G - g; */
    for (size_t g = 0; g < G; g++)
        score[g] = smoe_group_score(n, b + g * n);
    const smoe_status status = smoe_topk(G, kept, score, group, value, &margin); /* the best groups */
    if (status != SMOE_OK) return status;
    /*@ loop invariant 0 <= i <= N; loop assigns i, limited[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        limited[i] = SMOE_OUTSIDE;
    /*@ loop invariant 0 <= j <= kept;
        loop assigns j, limited[0 .. N-1]; loop variant kept - j; */
    for (size_t j = 0; j < kept; j++)
        //@ assert group[j] < G;
        //@ assert 0 <= (G - 1 - group[j])*n;
        //@ assert group[j]*n + n <= G*n;
        /*@ loop invariant 0 <= i <= n;
            loop assigns i, limited[0 .. N-1]; loop variant n - i; */
        for (size_t i = 0; i < n; i++)
            //@ assert 0 <= group[j]*n + i < N;
            limited[group[j] * n + i] = b[group[j] * n + i];
    return SMOE_OK;
}

/* What the four functions below ask of their inputs. */
/*@ requires \valid_read(s + (0 .. N-1)) && \valid_read(index + (0 .. K-1));
    assigns \nothing;
    ensures K == 0 || K > N ==> \result == SMOE_EINVAL;
    ensures 0 < K <= N && (\forall integer j; 0 <= j < K ==> index[j] < N) && smoe_finites(s, N) &&
              smoe_finite(scale) ==> \result == SMOE_OK;
    ensures 0 < K <= N && !((\forall integer j; 0 <= j < K ==> index[j] < N) && smoe_finites(s, N) &&
              smoe_finite(scale)) ==> \result == SMOE_EDOM; */
static smoe_status check_scaled(size_t N, size_t K, double scale, const double *s, const size_t *index)
{
    if (K == 0 || K > N) return SMOE_EINVAL;
    /*@ loop invariant 0 <= j <= K && \forall integer l; 0 <= l < j ==> index[l] < N;
        loop assigns j; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        if (index[j] >= N) return SMOE_EDOM;
    return smoe_all_finite(N, s) && finite_number(scale) ? SMOE_OK : SMOE_EDOM;
}

/* S = sum_j s_{I_j}, in the order of index. */
/*@ requires \valid_read(s + (0 .. N-1)) && \valid_read(index + (0 .. K-1));
    requires \forall integer j; 0 <= j < K ==> index[j] < N;
    assigns \nothing; */
static double sum_of_chosen(size_t N, size_t K, const double *s, const size_t *index)
{
    (void)N; /* for the contract */
    double S = 0;
    /*@ loop invariant 0 <= j <= K; loop assigns j, S; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        S += s[index[j]];
    return S;
}

smoe_status smoe_weights_scaled_renorm(size_t N, size_t K, double scale, const double *s, const size_t *index,
                                       double *weight)
{
    const smoe_status status = check_scaled(N, K, scale, s, index);
    if (status != SMOE_OK) return status;
    const double S = sum_of_chosen(N, K, s, index);
    if (!(S > 0)) return SMOE_EDOM;
    /*@ loop invariant 0 <= j <= K; loop assigns j, weight[0 .. K-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        weight[j] = s[index[j]] / S * scale;                            /* weight_j = s_{I_j} / S * scale   (G.16) */
    return smoe_all_finite(K, weight) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_weights_scaled_renorm_vjp(size_t N, size_t K, double scale, const double *s, const size_t *index,
                                           const double *dweight, double *ds, double *v, double *dv)
{
    const smoe_status status = check_scaled(N, K, scale, s, index);
    if (status != SMOE_OK) return status;
    const double S = sum_of_chosen(N, K, s, index);
    if (!(S > 0) || !smoe_all_finite(K, dweight)) return SMOE_EDOM;
    /*@ loop invariant 0 <= j <= K; loop assigns j, v[0 .. K-1], dv[0 .. K-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++) {
        v[j] = s[index[j]] / S;
        dv[j] = scale * dweight[j];
    }
    if (!smoe_all_finite(K, v) || !smoe_all_finite(K, dv)) return SMOE_EOVRFLW;
    const double along = smoe_dot(K, v, dv);
    /*@ loop invariant 0 <= j <= K; loop assigns j, dv[0 .. K-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        dv[j] = (dv[j] - along) / S;                                    /* ds_{I_j} = (dv_j - <v, dv>) / S */
    if (!smoe_all_finite(K, dv)) return SMOE_EOVRFLW;
    return smoe_topk_vjp(N, K, index, dv, ds);
}

smoe_status smoe_weights_scaled(size_t N, size_t K, double scale, const double *s, const size_t *index, double *weight)
{
    const smoe_status status = check_scaled(N, K, scale, s, index);
    if (status != SMOE_OK) return status;
    /*@ loop invariant 0 <= j <= K; loop assigns j, weight[0 .. K-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        weight[j] = s[index[j]] * scale;                                /* weight_j = s_{I_j} scale   (G.16) */
    return smoe_all_finite(K, weight) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_weights_scaled_vjp(size_t N, size_t K, double scale, const double *s, const size_t *index,
                                    const double *dweight, double *ds, double *dv)
{
    const smoe_status status = check_scaled(N, K, scale, s, index);
    if (status != SMOE_OK) return status;
    if (!smoe_all_finite(K, dweight)) return SMOE_EDOM;
    /*@ loop invariant 0 <= j <= K; loop assigns j, dv[0 .. K-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        dv[j] = scale * dweight[j];                                     /* ds_{I_j} = scale dweight_j */
    if (!smoe_all_finite(K, dv)) return SMOE_EOVRFLW;
    return smoe_topk_vjp(N, K, index, dv, ds);
}

static smoe_status check_deepseek(const smoe_deepseek_in *in)
{
    const size_t N = in->N, G = in->groups, K = in->K;
    if (in->d == 0 || N == 0 || K == 0 || G == 0 || N % G != 0 || in->kept == 0 || in->kept > G) return SMOE_EINVAL;
    if (K > in->kept * (N / G)) return SMOE_EINVAL;
    if (in->weights != SMOE_DEEPSEEK_RENORM && in->weights != SMOE_DEEPSEEK_PLAIN) return SMOE_EINVAL;
    if (!smoe_all_finite(in->T * in->d, in->x) || !smoe_all_finite(N * in->d, in->e)) return SMOE_EDOM;
    return below_outside(N, in->bias) && finite_number(in->scale) ? SMOE_OK : SMOE_EDOM;
}

/* The choice of one token: b = s + bias, limited to the best groups, and the K largest of what is left. */
static smoe_status choose_in_groups(const smoe_deepseek_in *in, const double *s, size_t *index, double *margin,
                                    double *work, size_t *group)
{
    double *b = work, *limited = b + in->N, *score = limited + in->N, *value = score + in->groups;
    for (size_t i = 0; i < in->N; i++) b[i] = s[i] + in->bias[i];       /* the bias chooses ... */
    const smoe_status status = smoe_group_limit(in->N, in->groups, in->kept, b, score, group, value, limited);
    return status == SMOE_OK ? smoe_topk(in->N, in->K, limited, index, value, margin) : status;
}

smoe_status smoe_gate_deepseek(const smoe_deepseek_in *in, const smoe_deepseek_out *out, double *work, size_t *group)
{
    const size_t T = in->T, N = in->N, K = in->K;
    smoe_status status = check_deepseek(in);
    if (status != SMOE_OK) return status;
    smoe_matmul_nt(T, N, in->d, in->x, in->e, out->z);
    if (!smoe_all_finite(T * N, out->z)) return SMOE_EOVRFLW;
    for (size_t k = 0; k < T * N; k++) out->s[k] = smoe_sigmoid(out->z[k]); /* s = sigmoid(x e')   (G.16) */
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        const double *st = out->s + t * N;
        size_t *It = out->index + t * K;
        status = choose_in_groups(in, st, It, &out->margin[t], work, group);
        if (status != SMOE_OK) return status;
        if (in->weights == SMOE_DEEPSEEK_RENORM)                        /* ... and does not weigh */
            status = smoe_weights_scaled_renorm(N, K, in->scale, st, It, out->weight + t * K);
        else
            status = smoe_weights_scaled(N, K, in->scale, st, It, out->weight + t * K);
    }
    return status;
}

smoe_status smoe_gate_deepseek_vjp(const smoe_deepseek_in *in, const smoe_deepseek_out *out, const double *dweight,
                                   double *dx, double *de, double *work)
{
    const size_t T = in->T, d = in->d, N = in->N, K = in->K;
    smoe_status status = check_deepseek(in);
    if (status != SMOE_OK) return status;
    if (!smoe_all_finite(T * K, dweight)) return SMOE_EDOM;
    double *dz = work, *v = dz + T * N, *dv = v + K;
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        const double *st = out->s + t * N, *dwt = dweight + t * K;
        const size_t *It = out->index + t * K;
        if (in->weights == SMOE_DEEPSEEK_RENORM)
            status = smoe_weights_scaled_renorm_vjp(N, K, in->scale, st, It, dwt, dz + t * N, v, dv);
        else
            status = smoe_weights_scaled_vjp(N, K, in->scale, st, It, dwt, dz + t * N, dv);
    }
    if (status != SMOE_OK) return status;
    for (size_t k = 0; k < T * N; k++) dz[k] *= smoe_sigmoid_deriv(out->z[k]); /* dz = sigmoid'(z) ds */
    smoe_matmul_tn(N, d, T, dz, in->x, de);                             /* de = sum_t dz_t x_t' */
    smoe_matmul_nn(T, d, N, dz, in->e, dx);                             /* dx = e' dz */
    return smoe_all_finite(T * d, dx) && smoe_all_finite(N * d, de) ? SMOE_OK : SMOE_EOVRFLW;
}

/* --- G.17 --- */

smoe_status smoe_gate_entropy_token(size_t N, const double *r, double *entropy, double *p, double *log_p)
{
    smoe_status status = smoe_softmax(N, r, p);                         /* p = softmax(r) */
    if (status != SMOE_OK) return status;
    /*@ loop invariant 0 <= i <= N; loop assigns i, log_p[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        log_p[i] = p[i] > 0 ? smoe_log(p[i]) : 0;                       /* 0 ln 0 = 0 */
    *entropy = 0 - smoe_dot(N, p, log_p);                               /* (G.17); 0 - 0 is +0 */
    return SMOE_OK;
}

smoe_status smoe_gate_entropy(size_t T, size_t N, const double *r, double *entropy, double *mean, double *p,
                              double *log_p)
{
    if (T == 0 || N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(T * N, r)) return SMOE_EDOM;
    smoe_status status = SMOE_OK;
    /*@ loop invariant 0 <= t <= T;
        loop invariant status == SMOE_OK || status == SMOE_EINVAL || status == SMOE_EDOM || status == SMOE_EOVRFLW;
        loop assigns t, status, entropy[0 .. T-1], p[0 .. N-1], log_p[0 .. N-1];
        loop variant T - t; */
    for (size_t t = 0; t < T && status == SMOE_OK; t++)
        //@ assert t*N + N <= T*N;
        status = smoe_gate_entropy_token(N, r + t * N, &entropy[t], p, log_p);
    *mean = smoe_sum(T, entropy) / (double)T;
    return status;
}
