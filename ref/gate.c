/* Gate and weights: spec/02-gate.md. */
#include "gate.h"

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
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
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
static smoe_status check_weights_vjp(smoe_weight_order order, size_t T, size_t N, size_t K, const size_t *index,
                                     const double *weight, const double *p, const double *dweight)
{
    if (K == 0 || K > N || !order_exists(order)) return SMOE_EINVAL;
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
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
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
    /*@ loop invariant 0 <= k <= n && \forall integer l; 0 <= l < k ==> xn[l] == x[l] * noise[l];
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
    for (size_t k = 0; k < T * d; k++)
        dx[k] *= noise[k];                                              /* dx = dxn * noise */
    return smoe_all_finite(T * d, dx) ? SMOE_OK : SMOE_EOVRFLW;
}

/* --- G.6 --- */

smoe_status smoe_noisy_scores(size_t n, const double *clean, const double *raw, const double *noise, double epsilon,
                              double *std, double *noisy)
{
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
    for (size_t t = 0; t < T && status == SMOE_OK; t++)
        status = smoe_weights_topk_softmax(N, K, noisy + t * N, index + t * K, weight + t * K, &margin[t], value);
    return status;
}

smoe_status smoe_gate_noisy_vjp(size_t T, size_t d, size_t N, size_t K, const double *x, const double *wg,
                                const double *wn, const double *noise, const double *raw, const size_t *index,
                                const double *weight, const double *dweight, double *dx, double *dwg, double *dwn,
                                double *dnoisy, double *draw, double *dvalue)
{
    if (d == 0 || K == 0 || K > N) return SMOE_EINVAL;
    for (size_t a = 0; a < T * K; a++)
        if (index[a] >= N) return SMOE_EDOM;
    if (!smoe_all_finite(T * d, x) || !smoe_all_finite(N * d, wg) || !smoe_all_finite(N * d, wn)) return SMOE_EDOM;
    if (!smoe_all_finite(T * N, noise) || !smoe_all_finite(T * N, raw)) return SMOE_EDOM;
    if (!smoe_all_finite(T * K, weight) || !smoe_all_finite(T * K, dweight)) return SMOE_EDOM;
    smoe_status status = SMOE_OK;
    for (size_t t = 0; t < T && status == SMOE_OK; t++)
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

static bool form_exists(smoe_sigmoid_form form) { return form == SMOE_SIGMOID_NORM || form == SMOE_SIGMOID_PLAIN; }

smoe_status smoe_gate_sigmoid(smoe_sigmoid_form form, size_t T, size_t N, size_t K, const double *r,
                              size_t *index, double *weight, double *margin, double *value)
{
    if (K == 0 || K > N || !form_exists(form)) return SMOE_EINVAL;
    if (!smoe_all_finite(T * N, r)) return SMOE_EDOM;
    for (size_t t = 0; t < T && form == SMOE_SIGMOID_NORM; t++)
        if (!sigmoid_survives(N, r + t * N)) return SMOE_EDOM;
    smoe_status status = SMOE_OK;
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
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
    for (size_t a = 0; a < T * K; a++)
        if (index[a] >= N) return SMOE_EDOM;
    if (!smoe_all_finite(T * K, value) || !smoe_all_finite(T * K, weight)) return SMOE_EDOM;
    if (!smoe_all_finite(T * K, dweight)) return SMOE_EDOM;
    smoe_status status = SMOE_OK;
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
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
    for (size_t t = 0; t < T && status == SMOE_OK; t++)
        status = smoe_gate_frozen_token(d, N, K, x + t * d, wr, r + t * N, index + t * K, weight + t * K, &margin[t],
                                        value);
    return status;
}

smoe_status smoe_gate_frozen_vjp(size_t T, size_t d, size_t N, size_t K, const double *wr, const size_t *index,
                                 const double *weight, const double *dweight, double *dx, double *dr, double *dvalue)
{
    if (d == 0 || K == 0 || K > N) return SMOE_EINVAL;
    for (size_t a = 0; a < T * K; a++)
        if (index[a] >= N) return SMOE_EDOM;
    if (!smoe_all_finite(N * d, wr) || !smoe_all_finite(T * K, weight)) return SMOE_EDOM;
    if (!smoe_all_finite(T * K, dweight)) return SMOE_EDOM;
    smoe_status status = SMOE_OK;
    for (size_t t = 0; t < T && status == SMOE_OK; t++)
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
    /*@ loop invariant 0 <= q <= 2*T;
        loop invariant \forall integer l; 0 <= l < N ==> count[l] <= q;
        loop invariant capacity > 0 ==> \forall integer l; 0 <= l < N ==> count[l] <= capacity;
        loop invariant q <= T ==> \forall integer t; 0 <= t < q ==>
                         kept[2*t] <= 1 && (\at(kept[2*t], Pre) == 0 ==> kept[2*t] == 0) &&
                         (capacity == 0 && \at(kept[2*t], Pre) != 0 ==> kept[2*t] == 1);
        loop assigns q, kept[0 .. 2*T-1], count[0 .. N-1]; loop variant 2*T - q; */
    for (size_t q = 0; q < 2 * T; q++) {
        const size_t a = q < T ? 2 * q : 2 * (q - T) + 1; /* first choices, then second choices */
        kept[a] = kept[a] != 0 && (capacity == 0 || count[index[a]] < capacity);
        count[index[a]] += kept[a];                                     /* (G.10) */
    }
    return SMOE_OK;
}

/* Is the second choice sent, given its share of the two probabilities? */
static bool second_is_sent(smoe_second policy, double share, double u, double threshold)
{
    if (policy == SMOE_SECOND_RANDOM) return 2 * share > u;
    if (policy == SMOE_SECOND_THRESHOLD) return share > threshold;
    return policy == SMOE_SECOND_ALL;
}

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
    for (size_t t = 0; t < T; t++) {
        smoe_status status =
            smoe_weights_softmax_topk_renorm(N, 2, r + t * N, index + 2 * t, share + 2 * t, &margin[t], p);
        if (status != SMOE_OK) return status;
        kept[2 * t] = 1;
        kept[2 * t + 1] = second_is_sent(policy, share[2 * t + 1], u[t], threshold);
    }
    smoe_status status = smoe_gshard_capacity(T, N, capacity, index, kept, count);
    if (status != SMOE_OK) return status;
    for (size_t a = 0; a < 2 * T; a++) {
        /* one of two that is kept alone has all of what is kept */
        bool alone = norm == SMOE_NORM_AFTER && !(kept[a] && kept[a ^ 1]);
        weight[a] = alone ? (double)kept[a] : share[a] * (double)kept[a]; /* (G.10) */
    }
    return SMOE_OK;
}

smoe_status smoe_gate_gshard_vjp(size_t T, size_t N, smoe_norm_when norm, const size_t *index, const size_t *kept,
                                 const double *share, const double *weight, const double *dweight, double *dr)
{
    if (N < 2 || !gshard_exists(SMOE_SECOND_ALL, norm)) return SMOE_EINVAL;
    for (size_t a = 0; a < 2 * T; a++)
        if (index[a] >= N || kept[a] > 1) return SMOE_EDOM;
    if (!smoe_all_finite(2 * T, share) || !smoe_all_finite(2 * T, weight)) return SMOE_EDOM;
    if (!smoe_all_finite(2 * T, dweight)) return SMOE_EDOM;
    smoe_status status = SMOE_OK;
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        const double *w = (norm == SMOE_NORM_BEFORE ? share : weight) + 2 * t;
        double dw[2], dvalue[2];
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
    for (size_t t = 0; t < T && status == SMOE_OK; t++)
        status = smoe_gate_entropy_token(N, r + t * N, &entropy[t], p, log_p);
    *mean = smoe_sum(T, entropy) / (double)T;
    return status;
}
