/* Chapter E: the experts of spec/01-expert.md, two-layer networks applied to T tokens, forward and gradient.
 *
 * A batch of T tokens gives the bits that T calls with one token give: every element is a fixed chain (N.13), so nobody
 * can tell how tokens were grouped.  Gradients of parameters take their tokens in ascending order.
 *
 * Intermediate values (a, u, ...) are arguments: the forward writes them, the vjp reads them.  Nothing is allocated.
 * Sizes: d >= 1, h >= 1, T >= 0.  Outputs alias neither inputs nor each other.  vjps overwrite.
 *
 * Errors of all functions: SMOE_EINVAL for a size of zero (T excepted) or an unknown activation; SMOE_EDOM for a
 * non-finite input (nothing is written); SMOE_EOVRFLW if a finite input made an output or an intermediate overflow.
 */
#ifndef SMOEREF_EXPERT_H
#define SMOEREF_EXPERT_H

#include <stddef.h>

#include "numerics.h"

/* phi of E.1, E.2, E.3: max(a, 0);  a Phi(a);  a/2 (1 + tanh(sqrt(2/pi) (a + 0.044715 a^3))) */
typedef enum { SMOE_RELU, SMOE_GELU, SMOE_GELU_TANH } smoe_activation;

/* The activation alone, for one token or many: the loop of (E.1), (E.2), (E.3) and
 * (E.5)  u_k = phi(a_k), and its vjp da_k = phi'(a_k) du_k, for n values; phi'(0) = 0 for ReLU.  da may be du. */
/*@ requires \valid_read(a + (0 .. n-1));
    requires \valid(u + (0 .. n-1));
    requires \separated(a + (0 .. n-1), u + (0 .. n-1));
    assigns u[0 .. n-1]; */
void smoe_activate(smoe_activation phi, size_t n, const double *a, double *u);

/*@ requires \valid_read(a + (0 .. n-1));
    requires \valid_read(du + (0 .. n-1));
    requires \valid(da + (0 .. n-1));
    requires \separated(a + (0 .. n-1), da + (0 .. n-1));
    assigns da[0 .. n-1]; */
void smoe_activate_vjp(smoe_activation phi, size_t n, const double *a, const double *du, double *da);

/* v_t = v_t + b for the n rows of v [n,m]: one rounded addition, after the product's chain has ended. */
/*@ requires smoe_size(n*m) && \valid_read(b + (0 .. m-1)) && \valid(v + (0 .. n*m-1));
    assigns v[0 .. n*m-1]; */
void smoe_add_bias(size_t n, size_t m, const double *b, double *v);

/* db_k = sum_t dv_tk, rows ascending, started at 0: the gradient of that bias.  dv [n,m], db [m]. */
/*@ requires smoe_size(n*m) && \valid_read(dv + (0 .. n*m-1)) && \valid(db + (0 .. m-1));
    assigns db[0 .. m-1]; */
void smoe_bias_vjp(size_t n, size_t m, const double *dv, double *db);

/* The same sum started at the db that is there: the rows before these. */
/*@ requires smoe_size(n*m) && \valid_read(dv + (0 .. n*m-1)) && \valid(db + (0 .. m-1));
    assigns db[0 .. m-1]; */
void smoe_bias_vjp_acc(size_t n, size_t m, const double *dv, double *db);

/* (E.1) (E.2) (E.3) Two-layer expert:  a = W1 x + b1,  u = phi(a),  y = W2 u + b2,  for each of T tokens
 *
 *   x [T,d]   w1 [h,d]  b1 [h]   w2 [d,h]  b2 [d]
 *   a [T,h]   out: before the activation, kept for the vjp
 *   u [T,h]   out: after it, kept for the vjp
 *   y [T,d]   out
 *
 * Source: the feed-forward block of Vaswani et al. 2017, eq. (2); spec E.1 for who uses it as an expert.
 */
/*@ requires smoe_product(T, h, d, x, w1, a) && smoe_product(T, d, h, u, w2, y);
    requires \valid_read(b1 + (0 .. h-1)) && \valid_read(b2 + (0 .. d-1)) && \valid(u + (0 .. T*h-1));
    requires \separated(a + (0 .. T*h-1), u + (0 .. T*h-1));
    assigns a[0 .. T*h-1], u[0 .. T*h-1], y[0 .. T*d-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_expert_mlp(smoe_activation phi, size_t T, size_t d, size_t h, const double *x,
                            const double *w1, const double *b1, const double *w2, const double *b2,
                            double *a, double *u, double *y);

/* Gradient of the above, a and u as the forward left them:
 *   db2 = sum_t dy_t,  dW2 = sum_t dy_t u_t',  da = phi'(a) (W2' dy),
 *   db1 = sum_t da_t,  dW1 = sum_t da_t x_t',  dx = W1' da
 *
 *   dx [T,d]  dw1 [h,d]  db1 [h]  dw2 [d,h]  db2 [d]   out
 *   da [T,h]  out: the gradient of a
 */
/*@ requires smoe_product(d, h, T, dy, u, dw2) && smoe_product(T, h, d, dy, w2, da);
    requires smoe_product(h, d, T, da, x, dw1) && smoe_product(T, d, h, da, w1, dx);
    requires \valid_read(a + (0 .. T*h-1)) && \valid(db1 + (0 .. h-1)) && \valid(db2 + (0 .. d-1));
    requires \separated(a + (0 .. T*h-1), da + (0 .. T*h-1));
    assigns dx[0 .. T*d-1], dw1[0 .. h*d-1], db1[0 .. h-1], dw2[0 .. d*h-1], db2[0 .. d-1], da[0 .. T*h-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_expert_mlp_vjp(smoe_activation phi, size_t T, size_t d, size_t h, const double *x,
                                const double *w1, const double *w2, const double *a, const double *u, const double *dy,
                                double *dx, double *dw1, double *db1, double *dw2, double *db2, double *da);

/* The same with dw1, db1, dw2, db2 started at what is there, which is the gradient from the tokens before these: tokens in
 * several calls, ascending, give the bits of all tokens in one. */
/*@ requires smoe_product(d, h, T, dy, u, dw2) && smoe_product(T, h, d, dy, w2, da);
    requires smoe_product(h, d, T, da, x, dw1) && smoe_product(T, d, h, da, w1, dx);
    requires \valid_read(a + (0 .. T*h-1)) && \valid(db1 + (0 .. h-1)) && \valid(db2 + (0 .. d-1));
    requires \separated(a + (0 .. T*h-1), da + (0 .. T*h-1));
    assigns dx[0 .. T*d-1], dw1[0 .. h*d-1], db1[0 .. h-1], dw2[0 .. d*h-1], db2[0 .. d-1], da[0 .. T*h-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_expert_mlp_vjp_acc(smoe_activation phi, size_t T, size_t d, size_t h, const double *x,
                                    const double *w1, const double *w2, const double *a, const double *u,
                                    const double *dy, double *dx, double *dw1, double *db1, double *dw2, double *db2,
                                    double *da);

/* (E.1) ReLU expert:  y = W2 max(W1 x + b1, 0) + b2.  ReLU'(0) = 0. */
/*@ requires smoe_product(T, h, d, x, w1, a) && smoe_product(T, d, h, u, w2, y);
    requires \valid_read(b1 + (0 .. h-1)) && \valid_read(b2 + (0 .. d-1)) && \valid(u + (0 .. T*h-1));
    requires \separated(a + (0 .. T*h-1), u + (0 .. T*h-1));
    assigns a[0 .. T*h-1], u[0 .. T*h-1], y[0 .. T*d-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_expert_relu(size_t T, size_t d, size_t h, const double *x,
                             const double *w1, const double *b1, const double *w2, const double *b2,
                             double *a, double *u, double *y);
/*@ requires smoe_product(d, h, T, dy, u, dw2) && smoe_product(T, h, d, dy, w2, da);
    requires smoe_product(h, d, T, da, x, dw1) && smoe_product(T, d, h, da, w1, dx);
    requires \valid_read(a + (0 .. T*h-1)) && \valid(db1 + (0 .. h-1)) && \valid(db2 + (0 .. d-1));
    requires \separated(a + (0 .. T*h-1), da + (0 .. T*h-1));
    assigns dx[0 .. T*d-1], dw1[0 .. h*d-1], db1[0 .. h-1], dw2[0 .. d*h-1], db2[0 .. d-1], da[0 .. T*h-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_expert_relu_vjp(size_t T, size_t d, size_t h, const double *x,
                                 const double *w1, const double *w2, const double *a, const double *u, const double *dy,
                                 double *dx, double *dw1, double *db1, double *dw2, double *db2, double *da);

/* (E.2) GELU expert:  y = W2 GELU(W1 x + b1) + b2,  GELU(a) = a Phi(a) (N.18) */
/*@ requires smoe_product(T, h, d, x, w1, a) && smoe_product(T, d, h, u, w2, y);
    requires \valid_read(b1 + (0 .. h-1)) && \valid_read(b2 + (0 .. d-1)) && \valid(u + (0 .. T*h-1));
    requires \separated(a + (0 .. T*h-1), u + (0 .. T*h-1));
    assigns a[0 .. T*h-1], u[0 .. T*h-1], y[0 .. T*d-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_expert_gelu(size_t T, size_t d, size_t h, const double *x,
                             const double *w1, const double *b1, const double *w2, const double *b2,
                             double *a, double *u, double *y);
/*@ requires smoe_product(d, h, T, dy, u, dw2) && smoe_product(T, h, d, dy, w2, da);
    requires smoe_product(h, d, T, da, x, dw1) && smoe_product(T, d, h, da, w1, dx);
    requires \valid_read(a + (0 .. T*h-1)) && \valid(db1 + (0 .. h-1)) && \valid(db2 + (0 .. d-1));
    requires \separated(a + (0 .. T*h-1), da + (0 .. T*h-1));
    assigns dx[0 .. T*d-1], dw1[0 .. h*d-1], db1[0 .. h-1], dw2[0 .. d*h-1], db2[0 .. d-1], da[0 .. T*h-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_expert_gelu_vjp(size_t T, size_t d, size_t h, const double *x,
                                 const double *w1, const double *w2, const double *a, const double *u, const double *dy,
                                 double *dx, double *dw1, double *db1, double *dw2, double *db2, double *da);

/* (E.3) GELU expert, tanh form (N.19) */
/*@ requires smoe_product(T, h, d, x, w1, a) && smoe_product(T, d, h, u, w2, y);
    requires \valid_read(b1 + (0 .. h-1)) && \valid_read(b2 + (0 .. d-1)) && \valid(u + (0 .. T*h-1));
    requires \separated(a + (0 .. T*h-1), u + (0 .. T*h-1));
    assigns a[0 .. T*h-1], u[0 .. T*h-1], y[0 .. T*d-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_expert_gelu_tanh(size_t T, size_t d, size_t h, const double *x,
                                  const double *w1, const double *b1, const double *w2, const double *b2,
                                  double *a, double *u, double *y);
/*@ requires smoe_product(d, h, T, dy, u, dw2) && smoe_product(T, h, d, dy, w2, da);
    requires smoe_product(h, d, T, da, x, dw1) && smoe_product(T, d, h, da, w1, dx);
    requires \valid_read(a + (0 .. T*h-1)) && \valid(db1 + (0 .. h-1)) && \valid(db2 + (0 .. d-1));
    requires \separated(a + (0 .. T*h-1), da + (0 .. T*h-1));
    assigns dx[0 .. T*d-1], dw1[0 .. h*d-1], db1[0 .. h-1], dw2[0 .. d*h-1], db2[0 .. d-1], da[0 .. T*h-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_expert_gelu_tanh_vjp(size_t T, size_t d, size_t h, const double *x, const double *w1,
                                      const double *w2, const double *a, const double *u, const double *dy,
                                      double *dx, double *dw1, double *db1, double *dw2, double *db2, double *da);

/* (E.4) SwiGLU expert:  a = W1 x,  v = W3 x,  u = SiLU(a) * v,  y = W2 u.  No biases.
 *
 *   x [T,d]   w1 [h,d]  w3 [h,d]  w2 [d,h]
 *   a [T,h]   v [T,h]   u [T,h]   out: kept for the vjp
 *   y [T,d]   out
 *
 * Source: Shazeer 2020 (GLU variants); spec E.4.
 */
/*@ requires smoe_product(T, h, d, x, w1, a) && smoe_product(T, h, d, x, w3, v);
    requires smoe_product(T, d, h, u, w2, y) && \valid(u + (0 .. T*h-1));
    assigns a[0 .. T*h-1], v[0 .. T*h-1], u[0 .. T*h-1], y[0 .. T*d-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_expert_swiglu(size_t T, size_t d, size_t h, const double *x,
                               const double *w1, const double *w3, const double *w2,
                               double *a, double *v, double *u, double *y);

/* Gradient of E.4:
 *   dW2 = sum_t dy_t u_t',  du = W2' dy,  da = (du * v) * SiLU'(a),  dv = du * SiLU(a),
 *   dW1 = sum_t da_t x_t',  dW3 = sum_t dv_t x_t',
 *   dx = W1' da + W3' dv  (one chain: the terms of W1, then those of W3)
 *
 *   dx [T,d]  dw1 [h,d]  dw3 [h,d]  dw2 [d,h]   out
 *   da [T,h]  dv [T,h]   out: the gradients of a and v
 */
/*@ requires smoe_product(d, h, T, dy, u, dw2) && smoe_product(T, h, d, dy, w2, da);
    requires smoe_product(h, d, T, da, x, dw1) && smoe_product(h, d, T, dv, x, dw3);
    requires smoe_product(T, d, h, da, w1, dx) && smoe_product(T, d, h, dv, w3, dx);
    requires \valid_read(a + (0 .. T*h-1)) && \valid_read(v + (0 .. T*h-1)) && \valid(dv + (0 .. T*h-1));
    assigns dx[0 .. T*d-1], dw1[0 .. h*d-1], dw3[0 .. h*d-1], dw2[0 .. d*h-1], da[0 .. T*h-1], dv[0 .. T*h-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_expert_swiglu_vjp(size_t T, size_t d, size_t h, const double *x,
                                   const double *w1, const double *w3, const double *w2,
                                   const double *a, const double *v, const double *u, const double *dy,
                                   double *dx, double *dw1, double *dw3, double *dw2, double *da, double *dv);

/* (E.5) Key/value expert:  a = x keys,  u = max(a, 0),  y = u values,  for each of T tokens.  No biases.
 *
 *   x [T,d]   keys [d,h]   values [h,d]
 *   a [T,h]   u [T,h]   out: kept for the vjp
 *   y [T,d]   out
 *
 * The bits are those of E.1 with W1 = keys', W2 = values' and biases of 0 (but for the sign of a 0).  ReLU'(0) = 0.
 * Source: public pre-training code of CompeteSMoE version 2 (read); spec E.5.
 */
/*@ requires smoe_product(T, h, d, x, keys, a) && smoe_product(T, d, h, u, values, y);
    requires \valid(u + (0 .. T*h-1)) && \separated(a + (0 .. T*h-1), u + (0 .. T*h-1));
    assigns a[0 .. T*h-1], u[0 .. T*h-1], y[0 .. T*d-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_expert_keyvalue(size_t T, size_t d, size_t h, const double *x, const double *keys,
                                 const double *values, double *a, double *u, double *y);

/* Gradient of E.5, a and u as the forward left them:
 *   dvalues = sum_t u_t' dy_t,  da = 1[a > 0] (dy values'),  dkeys = sum_t x_t' da_t,  dx = da keys'
 *
 *   dx [T,d]  dkeys [d,h]  dvalues [h,d]   out
 *   da [T,h]  out: the gradient of a
 */
/*@ requires smoe_product(h, d, T, u, dy, dvalues) && smoe_product(T, h, d, dy, values, da);
    requires smoe_product(d, h, T, x, da, dkeys) && smoe_product(T, d, h, da, keys, dx);
    requires \valid_read(a + (0 .. T*h-1)) && \separated(a + (0 .. T*h-1), da + (0 .. T*h-1));
    assigns dx[0 .. T*d-1], dkeys[0 .. d*h-1], dvalues[0 .. h*d-1], da[0 .. T*h-1];
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_expert_keyvalue_vjp(size_t T, size_t d, size_t h, const double *x, const double *keys,
                                     const double *values, const double *a, const double *u, const double *dy,
                                     double *dx, double *dkeys, double *dvalues, double *da);

#endif
