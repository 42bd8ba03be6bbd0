/* The SMoE layer: spec/03-layer.md. */
#include "layer.h"

#include <stdbool.h>

/* --- L.1 --- */

smoe_status smoe_dispatch(size_t A, size_t N, const size_t *choice, size_t *offset, size_t *slot, size_t *place)
{
    for (size_t a = 0; a < A; a++)
        if (choice[a] >= N) return SMOE_EDOM;

    for (size_t i = 0; i <= N; i++)
        offset[i] = 0;

    /* offset_i = assignments before a to experts below i;  place_a = the rank of a in its expert's list. */
    for (size_t a = 0; a < A; a++) {
        place[a] = offset[choice[a] + 1] - offset[choice[a]];
        for (size_t i = choice[a] + 1; i <= N; i++)
            offset[i]++;
    }

    for (size_t a = 0; a < A; a++) {
        place[a] += offset[choice[a]];
        slot[place[a]] = a;                                             /* (L.1) */
    }
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

static smoe_status check_combine(size_t T, size_t d, size_t K, const double *weight, const size_t *place,
                                 const double *o)
{
    if (d == 0 || K == 0) return SMOE_EINVAL;
    for (size_t a = 0; a < T * K; a++)
        if (place[a] >= T * K) return SMOE_EDOM;
    return smoe_all_finite(T * K, weight) && smoe_all_finite(T * K * d, o) ? SMOE_OK : SMOE_EDOM;
}

smoe_status smoe_combine(size_t T, size_t d, size_t K, const double *weight, const size_t *place, const double *o,
                         double *y)
{
    smoe_status status = check_combine(T, d, K, weight, place, o);
    if (status != SMOE_OK) return status;
    for (size_t k = 0; k < T * d; k++)
        y[k] = 0.0;
    for (size_t t = 0; t < T; t++)
        for (size_t j = 0; j < K; j++)
            smoe_axpy(d, weight[t * K + j], o + place[t * K + j] * d, y + t * d);                   /* (L.3) */
    return smoe_all_finite(T * d, y) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_combine_vjp(size_t T, size_t d, size_t K, const double *weight, const size_t *place,
                             const double *o, const double *dy, double *do_, double *dweight)
{
    smoe_status status = check_combine(T, d, K, weight, place, o);
    if (status != SMOE_OK) return status;
    if (!smoe_all_finite(T * d, dy)) return SMOE_EDOM;
    for (size_t t = 0; t < T; t++) {
        for (size_t j = 0; j < K; j++) {
            size_t a = t * K + j, p = place[a];
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
    double *do_ = work, *dxs = do_ + A * d, *da = dxs + A * d, *omega = da + A * h, *rho = omega + A, *row = rho + T * N;

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
