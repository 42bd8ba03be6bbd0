/* Gate and weights: spec/02-gate.md. */
#include "gate.h"

#include <stdbool.h>

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
