/* Experts: spec/01-expert.md. */
#include "expert.h"

#include <stdbool.h>

/* --- the activation and the bias, one-dimensional loops --- */

void smoe_activate(smoe_activation phi, size_t n, const double *a, double *u)
{
    if (phi == SMOE_RELU) {
        /*@ loop invariant 0 <= k <= n; loop assigns k, u[0 .. n-1]; loop variant n - k; */
        for (size_t k = 0; k < n; k++)
            u[k] = a[k] > 0 ? a[k] : 0.0;                               /* (E.1) */
    } else if (phi == SMOE_GELU) {
        /*@ loop invariant 0 <= k <= n; loop assigns k, u[0 .. n-1]; loop variant n - k; */
        for (size_t k = 0; k < n; k++)
            u[k] = smoe_gelu(a[k]);                                     /* (E.2) */
    } else {
        /*@ loop invariant 0 <= k <= n; loop assigns k, u[0 .. n-1]; loop variant n - k; */
        for (size_t k = 0; k < n; k++)
            u[k] = smoe_gelu_tanh(a[k]);                                /* (E.3) */
    }
}

void smoe_activate_vjp(smoe_activation phi, size_t n, const double *a, const double *du, double *da)
{
    if (phi == SMOE_RELU) {
        /*@ loop invariant 0 <= k <= n; loop assigns k, da[0 .. n-1]; loop variant n - k; */
        for (size_t k = 0; k < n; k++)
            da[k] = a[k] > 0 ? du[k] : 0.0;
    } else if (phi == SMOE_GELU) {
        /*@ loop invariant 0 <= k <= n; loop assigns k, da[0 .. n-1]; loop variant n - k; */
        for (size_t k = 0; k < n; k++)
            da[k] = du[k] * smoe_gelu_deriv(a[k]);
    } else {
        /*@ loop invariant 0 <= k <= n; loop assigns k, da[0 .. n-1]; loop variant n - k; */
        for (size_t k = 0; k < n; k++)
            da[k] = du[k] * smoe_gelu_tanh_deriv(a[k]);
    }
}

void smoe_add_bias(size_t n, size_t m, const double *b, double *v)
{
    /*@ loop invariant 0 <= t <= n; loop assigns t, v[0 .. n*m-1]; loop variant n - t; */
    for (size_t t = 0; t < n; t++)
        /*@ loop invariant 0 <= k <= m && t*m + m <= n*m; loop assigns k, v[0 .. n*m-1]; loop variant m - k; */
        for (size_t k = 0; k < m; k++)
            v[t * m + k] += b[k];
}

void smoe_bias_vjp(size_t n, size_t m, const double *dv, double *db)
{
    /*@ loop invariant 0 <= k <= m; loop assigns k, db[0 .. m-1]; loop variant m - k; */
    for (size_t k = 0; k < m; k++)
        db[k] = 0.0;
    smoe_bias_vjp_acc(n, m, dv, db);
}

void smoe_bias_vjp_acc(size_t n, size_t m, const double *dv, double *db)
{
    /*@ loop invariant 0 <= t <= n; loop assigns t, db[0 .. m-1]; loop variant n - t; */
    for (size_t t = 0; t < n; t++)
        /*@ loop invariant 0 <= k <= m && t*m + m <= n*m; loop assigns k, db[0 .. m-1]; loop variant m - k; */
        for (size_t k = 0; k < m; k++)
            db[k] += dv[t * m + k];
}

/* --- E.1, E.2, E.3 --- */

/*@ assigns \nothing; */
static bool sizes_make_sense(size_t d, size_t h, smoe_activation phi)
{
    return d > 0 && h > 0 && (phi == SMOE_RELU || phi == SMOE_GELU || phi == SMOE_GELU_TANH);
}

smoe_status smoe_expert_mlp(smoe_activation phi, size_t T, size_t d, size_t h, const double *x,
                            const double *w1, const double *b1, const double *w2, const double *b2,
                            double *a, double *u, double *y)
{
    if (!sizes_make_sense(d, h, phi)) return SMOE_EINVAL;
    if (!smoe_all_finite(T * d, x) || !smoe_all_finite(h * d, w1) || !smoe_all_finite(h, b1) ||
        !smoe_all_finite(d * h, w2) || !smoe_all_finite(d, b2)) return SMOE_EDOM;

    smoe_matmul_nt(T, h, d, x, w1, a);
    smoe_add_bias(T, h, b1, a);                                         /* a = W1 x + b1 */
    smoe_activate(phi, T * h, a, u);                                    /* u = phi(a) */
    smoe_matmul_nt(T, d, h, u, w2, y);
    smoe_add_bias(T, d, b2, y);                                         /* y = W2 u + b2   (E.1) (E.2) (E.3) */
    return smoe_all_finite(T * h, a) && smoe_all_finite(T * d, y) ? SMOE_OK : SMOE_EOVRFLW;
}

/*@ requires \valid(x + (0 .. n-1));
    assigns x[0 .. n-1]; */
static void zero(size_t n, double *x)
{
    /*@ loop invariant 0 <= k <= n; loop assigns k, x[0 .. n-1]; loop variant n - k; */
    for (size_t k = 0; k < n; k++)
        x[k] = 0;
}

/*@ requires smoe_size(T*d) && smoe_size(d*h) && smoe_size(T*h) && \valid_read(x + (0 .. T*d-1));
    requires \valid_read(w1 + (0 .. h*d-1)) && \valid_read(w2 + (0 .. d*h-1)) && \valid_read(a + (0 .. T*h-1));
    requires \valid_read(u + (0 .. T*h-1)) && \valid_read(dy + (0 .. T*d-1));
    assigns \nothing;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM; */
static smoe_status check_mlp_vjp(smoe_activation phi, size_t T, size_t d, size_t h, const double *x, const double *w1,
                                 const double *w2, const double *a, const double *u, const double *dy)
{
    if (!sizes_make_sense(d, h, phi)) return SMOE_EINVAL;
    bool finite = smoe_all_finite(T * d, x) && smoe_all_finite(h * d, w1) && smoe_all_finite(d * h, w2) &&
                  smoe_all_finite(T * h, a) && smoe_all_finite(T * h, u) && smoe_all_finite(T * d, dy);
    return finite ? SMOE_OK : SMOE_EDOM;
}

smoe_status smoe_expert_mlp_vjp(smoe_activation phi, size_t T, size_t d, size_t h, const double *x,
                                const double *w1, const double *w2, const double *a, const double *u, const double *dy,
                                double *dx, double *dw1, double *db1, double *dw2, double *db2, double *da)
{
    smoe_status status = check_mlp_vjp(phi, T, d, h, x, w1, w2, a, u, dy);
    if (status != SMOE_OK) return status;
    zero(h * d, dw1);
    zero(h, db1);
    zero(d * h, dw2);
    zero(d, db2);
    return smoe_expert_mlp_vjp_acc(phi, T, d, h, x, w1, w2, a, u, dy, dx, dw1, db1, dw2, db2, da);
}

smoe_status smoe_expert_mlp_vjp_acc(smoe_activation phi, size_t T, size_t d, size_t h, const double *x,
                                    const double *w1, const double *w2, const double *a, const double *u,
                                    const double *dy, double *dx, double *dw1, double *db1, double *dw2, double *db2,
                                    double *da)
{
    smoe_status status = check_mlp_vjp(phi, T, d, h, x, w1, w2, a, u, dy);
    if (status != SMOE_OK) return status;
    smoe_bias_vjp_acc(T, d, dy, db2);
    smoe_matmul_tn_acc(d, h, T, dy, u, dw2);                            /* dW2 = sum_t dy_t u_t' */
    smoe_matmul_nn(T, h, d, dy, w2, da);                                /* du = W2' dy, in the place of da */
    smoe_activate_vjp(phi, T * h, a, da, da);                           /* da = phi'(a) du */
    smoe_bias_vjp_acc(T, h, da, db1);
    smoe_matmul_tn_acc(h, d, T, da, x, dw1);                            /* dW1 = sum_t da_t x_t' */
    smoe_matmul_nn(T, d, h, da, w1, dx);                                /* dx = W1' da */

    bool finite = smoe_all_finite(T * d, dx) && smoe_all_finite(h * d, dw1) && smoe_all_finite(h, db1) &&
                  smoe_all_finite(d * h, dw2) && smoe_all_finite(d, db2) && smoe_all_finite(T * h, da);
    return finite ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_expert_relu(size_t T, size_t d, size_t h, const double *x,
                             const double *w1, const double *b1, const double *w2, const double *b2,
                             double *a, double *u, double *y)
{
    return smoe_expert_mlp(SMOE_RELU, T, d, h, x, w1, b1, w2, b2, a, u, y);                        /* (E.1) */
}

smoe_status smoe_expert_relu_vjp(size_t T, size_t d, size_t h, const double *x,
                                 const double *w1, const double *w2, const double *a, const double *u, const double *dy,
                                 double *dx, double *dw1, double *db1, double *dw2, double *db2, double *da)
{
    return smoe_expert_mlp_vjp(SMOE_RELU, T, d, h, x, w1, w2, a, u, dy, dx, dw1, db1, dw2, db2, da);
}

smoe_status smoe_expert_gelu(size_t T, size_t d, size_t h, const double *x,
                             const double *w1, const double *b1, const double *w2, const double *b2,
                             double *a, double *u, double *y)
{
    return smoe_expert_mlp(SMOE_GELU, T, d, h, x, w1, b1, w2, b2, a, u, y);                        /* (E.2) */
}

smoe_status smoe_expert_gelu_vjp(size_t T, size_t d, size_t h, const double *x,
                                 const double *w1, const double *w2, const double *a, const double *u, const double *dy,
                                 double *dx, double *dw1, double *db1, double *dw2, double *db2, double *da)
{
    return smoe_expert_mlp_vjp(SMOE_GELU, T, d, h, x, w1, w2, a, u, dy, dx, dw1, db1, dw2, db2, da);
}

smoe_status smoe_expert_gelu_tanh(size_t T, size_t d, size_t h, const double *x,
                                  const double *w1, const double *b1, const double *w2, const double *b2,
                                  double *a, double *u, double *y)
{
    return smoe_expert_mlp(SMOE_GELU_TANH, T, d, h, x, w1, b1, w2, b2, a, u, y);                   /* (E.3) */
}

smoe_status smoe_expert_gelu_tanh_vjp(size_t T, size_t d, size_t h, const double *x, const double *w1,
                                      const double *w2, const double *a, const double *u, const double *dy,
                                      double *dx, double *dw1, double *db1, double *dw2, double *db2, double *da)
{
    return smoe_expert_mlp_vjp(SMOE_GELU_TANH, T, d, h, x, w1, w2, a, u, dy, dx, dw1, db1, dw2, db2, da);
}

/* --- E.4 --- */

smoe_status smoe_expert_swiglu(size_t T, size_t d, size_t h, const double *x,
                               const double *w1, const double *w3, const double *w2,
                               double *a, double *v, double *u, double *y)
{
    if (d == 0 || h == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(T * d, x) || !smoe_all_finite(h * d, w1) || !smoe_all_finite(h * d, w3) ||
        !smoe_all_finite(d * h, w2)) return SMOE_EDOM;

    smoe_matmul_nt(T, h, d, x, w1, a);                                  /* a = W1 x */
    smoe_matmul_nt(T, h, d, x, w3, v);                                  /* v = W3 x */
    /*@ loop invariant 0 <= k <= T*h; loop assigns k, u[0 .. T*h-1]; loop variant T*h - k; */
    for (size_t k = 0; k < T * h; k++)
        u[k] = smoe_silu(a[k]) * v[k];
    smoe_matmul_nt(T, d, h, u, w2, y);                                  /* y = W2 u   (E.4) */

    bool finite = smoe_all_finite(T * h, a) && smoe_all_finite(T * h, v) && smoe_all_finite(T * h, u) &&
                  smoe_all_finite(T * d, y);
    return finite ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_expert_swiglu_vjp(size_t T, size_t d, size_t h, const double *x,
                                   const double *w1, const double *w3, const double *w2,
                                   const double *a, const double *v, const double *u, const double *dy,
                                   double *dx, double *dw1, double *dw3, double *dw2, double *da, double *dv)
{
    if (d == 0 || h == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(T * d, x) || !smoe_all_finite(h * d, w1) || !smoe_all_finite(h * d, w3) ||
        !smoe_all_finite(d * h, w2) || !smoe_all_finite(T * h, a) || !smoe_all_finite(T * h, v) ||
        !smoe_all_finite(T * h, u) || !smoe_all_finite(T * d, dy)) return SMOE_EDOM;

    smoe_matmul_tn(d, h, T, dy, u, dw2);                                /* dW2 = sum_t dy_t u_t' */
    smoe_matmul_nn(T, h, d, dy, w2, da);                                /* du = W2' dy, in the place of da */
    /*@ loop invariant 0 <= k <= T*h; loop assigns k, da[0 .. T*h-1], dv[0 .. T*h-1]; loop variant T*h - k; */
    for (size_t k = 0; k < T * h; k++) {
        double du = da[k];
        da[k] = (du * v[k]) * smoe_silu_deriv(a[k]);
        dv[k] = du * smoe_silu(a[k]);
    }
    smoe_matmul_tn(h, d, T, da, x, dw1);                                /* dW1 = sum_t da_t x_t' */
    smoe_matmul_tn(h, d, T, dv, x, dw3);                                /* dW3 = sum_t dv_t x_t' */
    smoe_matmul_nn(T, d, h, da, w1, dx);
    smoe_matmul_nn_acc(T, d, h, dv, w3, dx);                            /* dx = W1' da + W3' dv */

    bool finite = smoe_all_finite(T * d, dx) && smoe_all_finite(h * d, dw1) && smoe_all_finite(h * d, dw3) &&
                  smoe_all_finite(d * h, dw2) && smoe_all_finite(T * h, da) && smoe_all_finite(T * h, dv);
    return finite ? SMOE_OK : SMOE_EOVRFLW;
}

/* --- E.5 --- */

smoe_status smoe_expert_keyvalue(size_t T, size_t d, size_t h, const double *x, const double *keys,
                                 const double *values, double *a, double *u, double *y)
{
    if (d == 0 || h == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(T * d, x) || !smoe_all_finite(d * h, keys) || !smoe_all_finite(h * d, values))
        return SMOE_EDOM;

    smoe_matmul_nn(T, h, d, x, keys, a);                                /* a = x keys */
    smoe_activate(SMOE_RELU, T * h, a, u);                              /* u = max(a, 0) */
    smoe_matmul_nn(T, d, h, u, values, y);                              /* y = u values   (E.5) */
    return smoe_all_finite(T * h, a) && smoe_all_finite(T * d, y) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_expert_keyvalue_vjp(size_t T, size_t d, size_t h, const double *x, const double *keys,
                                     const double *values, const double *a, const double *u, const double *dy,
                                     double *dx, double *dkeys, double *dvalues, double *da)
{
    if (d == 0 || h == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(T * d, x) || !smoe_all_finite(d * h, keys) || !smoe_all_finite(h * d, values) ||
        !smoe_all_finite(T * h, a) || !smoe_all_finite(T * h, u) || !smoe_all_finite(T * d, dy)) return SMOE_EDOM;

    smoe_matmul_tn(h, d, T, u, dy, dvalues);                            /* dvalues = sum_t u_t' dy_t */
    smoe_matmul_nt(T, h, d, dy, values, da);                            /* du = dy values', in the place of da */
    smoe_activate_vjp(SMOE_RELU, T * h, a, da, da);                     /* da = 1[a > 0] du */
    smoe_matmul_tn(d, h, T, x, da, dkeys);                              /* dkeys = sum_t x_t' da_t */
    smoe_matmul_nt(T, d, h, da, keys, dx);                              /* dx = da keys' */

    bool finite = smoe_all_finite(T * d, dx) && smoe_all_finite(d * h, dkeys) && smoe_all_finite(h * d, dvalues) &&
                  smoe_all_finite(T * h, da);
    return finite ? SMOE_OK : SMOE_EOVRFLW;
}
