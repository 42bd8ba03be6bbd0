/* Experts, spec/01-expert.md: hand-computed values, gradients by two methods, properties, every error path. */
#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "expert.h"
#include "lone.h"
#include "slopes.h"

/* Within `ulps` units of the last place of `want`; false for NaN. */
static bool near(double got, double want, double ulps) { return fabs(got - want) <= ulps * 0x1p-52 * fabs(want); }

#define SAME(got, want, n, what)                                                                                       \
    for (size_t same_k = 0; same_k < (n); same_k++)                                                                    \
    ck_assert_msg((got)[same_k] == (want)[same_k], "%s[%zu] is %a, by hand it is %a", what, same_k, (got)[same_k],     \
                  (want)[same_k])

/* --- one expert with all its arrays --- */

enum { RELU, GELU, GELU_TANH, SWIGLU, KINDS };
static const char *const kind_name[KINDS] = {"E.1 ReLU", "E.2 GELU", "E.3 GELU tanh", "E.4 SwiGLU"};

/* theta = x | w1 | b1 | w2 | b2  (E.4: x | w1 | w3 | w2), one array so that a check can walk over all inputs. */
typedef struct {
    int kind;
    size_t T, d, h, n, at[6];
    const double *dy;
} expert;

static expert expert_of(int kind, size_t T, size_t d, size_t h)
{
    expert e = {.kind = kind, .T = T, .d = d, .h = h};
    size_t size[5] = {T * d, h * d, kind == SWIGLU ? h * d : h, d * h, kind == SWIGLU ? 0 : d};
    for (int i = 0; i < 5; i++) e.at[i + 1] = e.at[i] + size[i];
    e.n = e.at[5];
    return e;
}

static smoe_status forward(const expert *e, const double *q, double *a, double *v, double *u, double *y)
{
    const size_t T = e->T, d = e->d, h = e->h, *at = e->at;
    switch (e->kind) {
    case RELU:
        return smoe_expert_relu(T, d, h, q, q + at[1], q + at[2], q + at[3], q + at[4], a, u, y);
    case GELU:
        return smoe_expert_gelu(T, d, h, q, q + at[1], q + at[2], q + at[3], q + at[4], a, u, y);
    case GELU_TANH:
        return smoe_expert_gelu_tanh(T, d, h, q, q + at[1], q + at[2], q + at[3], q + at[4], a, u, y);
    default:
        return smoe_expert_swiglu(T, d, h, q, q + at[1], q + at[2], q + at[3], a, v, u, y);
    }
}

static smoe_status vjp(const expert *e, const double *q, const double *a, const double *v, const double *u, double *g,
                       double *da, double *dv)
{
    const size_t T = e->T, d = e->d, h = e->h, *at = e->at;
    double *g1 = g + at[1], *g2 = g + at[2], *g3 = g + at[3], *g4 = g + at[4];
    const double *w1 = q + at[1], *w2 = q + at[3], *dy = e->dy;
    switch (e->kind) {
    case RELU:
        return smoe_expert_relu_vjp(T, d, h, q, w1, w2, a, u, dy, g, g1, g2, g3, g4, da);
    case GELU:
        return smoe_expert_gelu_vjp(T, d, h, q, w1, w2, a, u, dy, g, g1, g2, g3, g4, da);
    case GELU_TANH:
        return smoe_expert_gelu_tanh_vjp(T, d, h, q, w1, w2, a, u, dy, g, g1, g2, g3, g4, da);
    default:
        return smoe_expert_swiglu_vjp(T, d, h, q, w1, q + at[2], w2, a, v, u, dy, g, g1, g2, g3, da, dv);
    }
}

typedef struct {
    double *a, *v, *u, *y, *da, *dv;
} arrays;

static double *room(size_t n) { return calloc(n + 1, sizeof(double)); }

static arrays arrays_of(const expert *e)
{
    size_t m = e->T * e->h;
    return (arrays){room(m), room(m), room(m), room(e->T * e->d), room(m), room(m)};
}

static void arrays_free(arrays *w) { free(w->a), free(w->v), free(w->u), free(w->y), free(w->da), free(w->dv); }

/* --- hand-computed values --- */

/* x_1 = (1,-1): a = (1-2, 3+1+1) = (-1,5), u = (0,5), y = (-5+1/4, 5-1).  x_2 = (2,-1): a = (0,8), the kink, u = (0,8).
 * G_1 = (1,2): W2'G = (1+4, -1+2) = (5,1), da = (0,1).  G_2 = (1,0): W2'G = (1,-1), da = (0,-1) as ReLU'(0) = 0. */
/* evidence hand: E.1 */
START_TEST(relu_by_hand)
{
    const double x[] = {1, -1, 2, -1}, w1[] = {1, 2, 3, -1}, b1[] = {0, 1}, w2[] = {1, -1, 2, 1}, b2[] = {0.25, -1};
    const double dy[] = {1, 2, 1, 0};
    double a[4], u[4], y[4], dx[4], dw1[4], db1[2], dw2[4], db2[2], da[4];
    ck_assert_int_eq(smoe_expert_relu(2, 2, 2, x, w1, b1, w2, b2, a, u, y), SMOE_OK);
    SAME(a, ((double[]){-1, 5, 0, 8}), 4, "E.1 a");
    SAME(u, ((double[]){0, 5, 0, 8}), 4, "E.1 u");
    SAME(y, ((double[]){-4.75, 4, -7.75, 7}), 4, "E.1 y");
    ck_assert_int_eq(smoe_expert_relu_vjp(2, 2, 2, x, w1, w2, a, u, dy, dx, dw1, db1, dw2, db2, da), SMOE_OK);
    SAME(da, ((double[]){0, 1, 0, -1}), 4, "E.1 da");
    SAME(db2, ((double[]){2, 2}), 2, "E.1 db2 = G_1 + G_2");
    SAME(dw2, ((double[]){0, 5 + 8, 0, 10}), 4, "E.1 dw2 = G_1 u_1' + G_2 u_2'");
    SAME(db1, ((double[]){0, 0}), 2, "E.1 db1");
    SAME(dw1, ((double[]){0, 0, 1 - 2, -1 + 1}), 4, "E.1 dw1 = da_1 x_1' + da_2 x_2'");
    SAME(dx, ((double[]){3, -1, -3, 1}), 4, "E.1 dx = W1' da");
}
END_TEST

/* W1 = I, b1 = 0, x = (1,-1), so a = (1,-1); W2 = [1 1; 1 -1], b2 = 0.  Phi(1) = .84134474606854294859 (tables), so
 * u = (Phi(1), Phi(1)-1), y = (2 Phi(1) - 1, 1).  GELU'(a) = Phi(a) + a phi(a), phi(1) = .24197072451914334980, hence
 * GELU'(1) = 1.08331547058768629838 and GELU'(-1) = 1 - GELU'(1).  G = (1,0): W2'G = (1,1), da = GELU'(a) = dx. */
/* evidence hand: E.2 */
START_TEST(gelu_by_hand)
{
    const double x[] = {1, -1}, w1[] = {1, 0, 0, 1}, b1[] = {0, 0}, w2[] = {1, 1, 1, -1}, b2[] = {0, 0}, dy[] = {1, 0};
    double a[2], u[2], y[2], dx[2], dw1[4], db1[2], dw2[4], db2[2], da[2];
    ck_assert_int_eq(smoe_expert_gelu(1, 2, 2, x, w1, b1, w2, b2, a, u, y), SMOE_OK);
    ck_assert_msg(near(u[0], 0.84134474606854294859, 4) && near(u[1], -0.15865525393145705141, 4), "E.2 u is %a %a",
                  u[0], u[1]);
    ck_assert_msg(near(y[0], 0.68268949213708589717, 4) && near(y[1], 1.0, 2), "E.2 y is %a %a", y[0], y[1]);
    ck_assert_int_eq(smoe_expert_gelu_vjp(1, 2, 2, x, w1, w2, a, u, dy, dx, dw1, db1, dw2, db2, da), SMOE_OK);
    ck_assert_msg(near(dx[0], 1.08331547058768629838, 4), "E.2 GELU'(1) is %a", dx[0]);
    ck_assert_msg(near(dx[1], -0.08331547058768629838, 16), "E.2 GELU'(-1) is %a", dx[1]);
    SAME(dw1, ((double[]){da[0], -da[0], da[1], -da[1]}), 4, "E.2 dw1 = da x'");
    SAME(dw2, ((double[]){u[0], u[1], 0, 0}), 4, "E.2 dw2 = G u'");

    const double zero[] = {0, 0}; /* GELU(0) = 0 and GELU'(0) = 1/2, exactly */
    ck_assert_int_eq(smoe_expert_gelu(1, 2, 2, zero, w1, b1, w2, b2, a, u, y), SMOE_OK);
    SAME(y, zero, 2, "E.2 y at a = 0");
    ck_assert_int_eq(smoe_expert_gelu_vjp(1, 2, 2, zero, w1, w2, a, u, dy, dx, dw1, db1, dw2, db2, da), SMOE_OK);
    SAME(dx, ((double[]){0.5, 0.5}), 2, "E.2 dx at a = 0");
}
END_TEST

/* As above with the tanh form: v = sqrt(2/pi) 1.044715, u_1 = (1 + tanh v)/2 = .84119199060827670478, u_2 = u_1 - 1;
 * the derivative at 1 is u_1 + (1 - tanh^2 v)/2 sqrt(2/pi) 1.134145 = 1.08296408384578255514; at -1, 1 minus that. */
/* evidence hand: E.3 */
START_TEST(gelu_tanh_by_hand)
{
    const double x[] = {1, -1}, w1[] = {1, 0, 0, 1}, b1[] = {0, 0}, w2[] = {1, 1, 1, -1}, b2[] = {0, 0}, dy[] = {1, 0};
    double a[2], u[2], y[2], dx[2], dw1[4], db1[2], dw2[4], db2[2], da[2];
    ck_assert_int_eq(smoe_expert_gelu_tanh(1, 2, 2, x, w1, b1, w2, b2, a, u, y), SMOE_OK);
    ck_assert_msg(near(u[0], 0.84119199060827670478, 4) && near(u[1], -0.15880800939172329522, 16), "E.3 u is %a %a",
                  u[0], u[1]);
    ck_assert_msg(near(y[0], 0.68238398121655340956, 8) && near(y[1], 1.0, 4), "E.3 y is %a %a", y[0], y[1]);
    ck_assert_int_eq(smoe_expert_gelu_tanh_vjp(1, 2, 2, x, w1, w2, a, u, dy, dx, dw1, db1, dw2, db2, da), SMOE_OK);
    ck_assert_msg(near(dx[0], 1.08296408384578255514, 8), "E.3 derivative at 1 is %a", dx[0]);
    ck_assert_msg(near(dx[1], -0.08296408384578255514, 64), "E.3 derivative at -1 is %a", dx[1]);
}
END_TEST

/* x = (1,-1), W1 = [1 1; 2 2], so a = (0,0), SiLU(0) = 0, SiLU'(0) = 1/2; v = (2,-3); y = 0.  G = (1,2): du = (5,1),
 * da = (5*2/2, 1*(-3)/2), dv = du SiLU(0) = 0; dx = W1' da = (5-3, 5-3).  Then one token with a = 1, v = 2, W2 = 1:
 * y = 2 sigmoid(1) = 1.46211715726000975850, and SiLU'(1) = .92767051187148673179. */
/* evidence hand: E.4 */
START_TEST(swiglu_by_hand)
{
    const double x[] = {1, -1}, w1[] = {1, 1, 2, 2}, w3[] = {2, 0, 0, 3}, w2[] = {1, -1, 2, 1}, dy[] = {1, 2};
    double a[2], v[2], u[2], y[2], dx[2], dw1[4], dw3[4], dw2[4], da[2], dv[2];
    ck_assert_int_eq(smoe_expert_swiglu(1, 2, 2, x, w1, w3, w2, a, v, u, y), SMOE_OK);
    SAME(v, ((double[]){2, -3}), 2, "E.4 v");
    SAME(y, ((double[]){0, 0}), 2, "E.4 y");
    ck_assert_int_eq(smoe_expert_swiglu_vjp(1, 2, 2, x, w1, w3, w2, a, v, u, dy, dx, dw1, dw3, dw2, da, dv), SMOE_OK);
    SAME(da, ((double[]){5, -1.5}), 2, "E.4 da");
    SAME(dw1, ((double[]){5, -5, -1.5, 1.5}), 4, "E.4 dw1");
    SAME(dw3, ((double[]){0, 0, 0, 0}), 4, "E.4 dw3");
    SAME(dw2, ((double[]){0, 0, 0, 0}), 4, "E.4 dw2");
    SAME(dx, ((double[]){2, 2}), 2, "E.4 dx");

    const double one[] = {1}, two[] = {2};
    ck_assert_int_eq(smoe_expert_swiglu(1, 1, 1, one, one, two, one, a, v, u, y), SMOE_OK);
    ck_assert_msg(near(y[0], 1.46211715726000975850, 4), "E.4 y is %a", y[0]);
    ck_assert_int_eq(smoe_expert_swiglu_vjp(1, 1, 1, one, one, two, one, a, v, u, one, dx, dw1, dw3, dw2, da, dv),
                     SMOE_OK);
    ck_assert_msg(near(dw1[0], 2 * 0.92767051187148673179, 6), "E.4 dw1 = v SiLU'(1) is %a", dw1[0]);
    ck_assert_msg(near(dw3[0], 0.73105857863000487925, 4), "E.4 dw3 = SiLU(1) is %a", dw3[0]);
}
END_TEST

/* --- gradients --- */

static long double exact_phi(int kind, long double a)
{
    switch (kind) {
    case RELU:
        return a > 0 ? a : 0;
    case GELU:
        return a / 2 * (1 + erfl(a / sqrtl(2)));
    case GELU_TANH:
        return a / 2 * (1 + tanhl(sqrtl(2 / acosl(-1)) * (a + 0.044715L * a * a * a)));
    default:
        return a / (1 + expl(-a));
    }
}

/* <dy, y> from the formulas of the spec, in extended precision, element by element. */
static long double exact(const void *test, const long double *q)
{
    const expert *e = test;
    const size_t d = e->d, h = e->h;
    const long double *w1 = q + e->at[1], *second = q + e->at[2], *w2 = q + e->at[3], *b2 = q + e->at[4];
    long double phi = 0;
    for (size_t t = 0; t < e->T; t++)
        for (size_t k = 0; k < h; k++) {
            long double a = 0, v = 0;
            for (size_t i = 0; i < d; i++) {
                a += w1[k * d + i] * q[t * d + i];
                if (e->kind == SWIGLU) v += second[k * d + i] * q[t * d + i];
            }
            long double u = e->kind == SWIGLU ? exact_phi(SWIGLU, a) * v : exact_phi(e->kind, a + second[k]);
            for (size_t i = 0; i < d; i++) phi += (long double)e->dy[t * d + i] * w2[i * h + k] * u;
        }
    for (size_t t = 0; t < e->T && e->kind != SWIGLU; t++)
        for (size_t i = 0; i < d; i++) phi += (long double)e->dy[t * d + i] * b2[i];
    return phi;
}

static double library(const void *test, const double *q)
{
    const expert *e = test;
    arrays w = arrays_of(e);
    ck_assert_int_eq(forward(e, q, w.a, w.v, w.u, w.y), SMOE_OK);
    long double phi = 0;
    for (size_t k = 0; k < e->T * e->d; k++) phi += (long double)e->dy[k] * w.y[k];
    arrays_free(&w);
    return (double)phi;
}

/* A random expert and its gradient; for ReLU no |a| is so small that a check's step could cross the kink. */
static expert drawn(int kind, uint64_t seed, double **q, double **g, double **dy)
{
    expert e = expert_of(kind, 3, 4, 5);
    *q = room(e.n), *g = room(e.n), *dy = room(e.T * e.d);
    arrays w = arrays_of(&e);
    bool apart;
    do {
        slopes_fill(&seed, 1.0, e.n, *q);
        slopes_fill(&seed, 1.0, e.T * e.d, *dy);
        ck_assert_int_eq(forward(&e, *q, w.a, w.v, w.u, w.y), SMOE_OK);
        apart = true;
        for (size_t k = 0; k < e.T * e.h; k++) apart = apart && fabs(w.a[k]) > 0.05;
    } while (kind == RELU && !apart);
    e.dy = *dy;
    ck_assert_int_eq(vjp(&e, *q, w.a, w.v, w.u, *g, w.da, w.dv), SMOE_OK);
    arrays_free(&w);
    return e;
}

/* evidence gradient: E.1 E.2 E.3 E.4 */
START_TEST(gradient_is_the_slope)
{
    static const char *const block[2][5] = {{"x", "w1", "b1", "w2", "b2"}, {"x", "w1", "w3", "w2", ""}};
    for (uint64_t seed = 1; seed <= 5; seed++) {
        double *q, *g, *dy;
        expert e = drawn(_i, seed, &q, &g, &dy);
        double order = slopes_order(e.n, q, g, exact, &e, seed);
        ck_assert_msg(order > 1.8, "%s: Taylor remainder falls with order %.3f, not 2 (seed %d)", kind_name[_i], order,
                      (int)seed);
        for (int b = 0; b < 5; b++) {
            double off = slopes_adjoint(e.n, q, g, library, &e, e.at[b], e.at[b + 1] - e.at[b], seed);
            ck_assert_msg(off <= 1e-8, "%s: <G, J v> and <d_%s, v> differ by %.1e (seed %d)", kind_name[_i],
                          block[_i == SWIGLU][b], off, (int)seed);
        }
        free(q), free(g), free(dy);
    }
}
END_TEST

/* Negative control: both checks must see one entry of one gradient that is off by 1/1000. */
START_TEST(a_wrong_gradient_is_seen)
{
    double *q, *g, *dy;
    expert e = drawn(_i, 7, &q, &g, &dy);
    for (int b = 0; b < 5; b++) {
        if (e.at[b] == e.at[b + 1]) continue;
        size_t largest = e.at[b];
        for (size_t k = e.at[b]; k < e.at[b + 1]; k++)
            if (fabs(g[k]) > fabs(g[largest])) largest = k;
        double right = g[largest];
        g[largest] *= 1.001;
        double order = slopes_order(e.n, q, g, exact, &e, 7);
        double off = slopes_adjoint(e.n, q, g, library, &e, e.at[b], e.at[b + 1] - e.at[b], 7);
        ck_assert_msg(order < 1.5, "%s, block %d: Taylor accepts a wrong gradient (order %.3f)", kind_name[_i], b,
                      order);
        ck_assert_msg(off > 1e-6, "%s, block %d: the adjoint check accepts a wrong gradient (%.1e)", kind_name[_i], b,
                      off);
        g[largest] = right;
    }
    free(q), free(g), free(dy);
}
END_TEST

/* --- properties --- */

/* Tokens together, or one by one: the same bits; gradients of parameters are the tokens' chains in ascending order. */
/* evidence properties: E.1 E.2 E.3 E.4 */
START_TEST(batching_changes_no_bit)
{
    enum { T = 7, d = 5, h = 9 };
    expert all = expert_of(_i, T, d, h), one = expert_of(_i, 1, d, h);
    double *q = room(all.n), *g = room(all.n), *q1 = room(one.n), *g1 = room(one.n), *dy = room(T * d);
    uint64_t seed = 11;
    slopes_fill(&seed, 1.0, all.n, q);
    slopes_fill(&seed, 1.0, T * d, dy);
    arrays w = arrays_of(&all), v = arrays_of(&one);
    all.dy = dy;
    ck_assert_int_eq(forward(&all, q, w.a, w.v, w.u, w.y), SMOE_OK);
    ck_assert_int_eq(vjp(&all, q, w.a, w.v, w.u, g, w.da, w.dv), SMOE_OK);
    memcpy(q1 + d, q + T * d, (all.n - T * d) * sizeof *q);
    for (size_t t = 0; t < T; t++) {
        memcpy(q1, q + t * d, d * sizeof *q);
        one.dy = dy + t * d;
        ck_assert_int_eq(forward(&one, q1, v.a, v.v, v.u, v.y), SMOE_OK);
        ck_assert_int_eq(vjp(&one, q1, v.a, v.v, v.u, g1, v.da, v.dv), SMOE_OK);
        ck_assert_msg(memcmp(v.y, w.y + t * d, sizeof(double[d])) == 0, "%s: y of token %zu", kind_name[_i], t);
        ck_assert_msg(memcmp(g1, g + t * d, sizeof(double[d])) == 0, "%s: dx of token %zu", kind_name[_i], t);
    }
    for (size_t k = 0; k < h; k++)
        for (size_t i = 0; i < d; i++) {
            double s1 = 0, s2 = 0, s3 = 0;
            for (size_t t = 0; t < T; t++) {
                s1 = fma(w.da[t * h + k], q[t * d + i], s1);
                s2 = fma(dy[t * d + i], w.u[t * h + k], s2);
                s3 = fma(w.dv[t * h + k], q[t * d + i], s3);
            }
            ck_assert_msg(g[all.at[1] + k * d + i] == s1, "%s: dw1[%zu,%zu]", kind_name[_i], k, i);
            ck_assert_msg(g[all.at[3] + i * h + k] == s2, "%s: dw2[%zu,%zu]", kind_name[_i], i, k);
            if (_i == SWIGLU) ck_assert_msg(g[all.at[2] + k * d + i] == s3, "E.4: dw3[%zu,%zu]", k, i);
        }
    arrays_free(&w), arrays_free(&v);
    free(q), free(g), free(q1), free(g1), free(dy);
}
END_TEST

/* Powers of two are exact.  y is linear in (W2, b2): times 4 for all.  ReLU(2a) = 2 ReLU(a): E.1 with x, b1 and b2
 * doubled as well doubles.  E.4 is odd in W3. */
/* evidence properties: E.1 E.2 E.3 E.4 */
START_TEST(scales_exactly_where_it_is_homogeneous)
{
    expert e = expert_of(_i, 3, 4, 6);
    double *q = room(e.n);
    uint64_t seed = 13;
    slopes_fill(&seed, 1.0, e.n, q);
    arrays w = arrays_of(&e), v = arrays_of(&e);
    ck_assert_int_eq(forward(&e, q, w.a, w.v, w.u, w.y), SMOE_OK);
    for (size_t k = e.at[3]; k < e.n; k++) q[k] *= 4; /* W2 and b2 */
    if (_i == RELU) {
        for (size_t k = 0; k < e.at[1]; k++) q[k] *= 2; /* x and b1: a and u double; b2 doubles with them */
        for (size_t k = e.at[2]; k < e.at[3]; k++) q[k] *= 2;
        for (size_t k = e.at[4]; k < e.n; k++) q[k] *= 2;
    }
    if (_i == SWIGLU)
        for (size_t k = e.at[2]; k < e.at[3]; k++) q[k] *= -1; /* W3 */
    double factor = _i == RELU ? 8 : _i == SWIGLU ? -4 : 4;
    ck_assert_int_eq(forward(&e, q, v.a, v.v, v.u, v.y), SMOE_OK);
    for (size_t k = 0; k < e.T * e.d; k++)
        ck_assert_msg(v.y[k] == factor * w.y[k], "%s: y[%zu] %a, expected %a", kind_name[_i], k, v.y[k],
                      factor * w.y[k]);
    arrays_free(&w), arrays_free(&v);
    free(q);
}
END_TEST

/* No tokens: no output, and gradients of parameters that are exactly 0 (an expert that nobody chose). */
/* evidence properties: E.1 E.2 E.3 E.4 */
START_TEST(no_tokens)
{
    expert e = expert_of(_i, 0, 4, 3);
    double *q = room(e.n), *g = room(e.n), dy = 0;
    uint64_t seed = 17;
    slopes_fill(&seed, 1.0, e.n, q);
    slopes_fill(&seed, 1.0, e.n, g);
    e.dy = &dy;
    arrays w = arrays_of(&e);
    w.y[0] = 42;
    ck_assert_int_eq(forward(&e, q, w.a, w.v, w.u, w.y), SMOE_OK);
    ck_assert_msg(w.y[0] == 42, "%s wrote an output for T = 0", kind_name[_i]);
    ck_assert_int_eq(vjp(&e, q, w.a, w.v, w.u, g, w.da, w.dv), SMOE_OK);
    for (size_t k = 0; k < e.n; k++)
        ck_assert_msg(g[k] == 0, "%s: gradient %zu is %a for T = 0", kind_name[_i], k, g[k]);
    arrays_free(&w);
    free(q), free(g);
}
END_TEST

/* ReLU(-0.0) is +0.0, and at both zeros the derivative is 0; a subnormal is positive. */
/* evidence properties: E.1 */
START_TEST(zeros_and_subnormals)
{
    const double a[] = {-0.0, 0.0, 0x1p-1074, -0x1p-1074}, du[] = {3, 3, 3, 3};
    double u[4], da[4];
    smoe_activate(SMOE_RELU, 4, a, u);
    smoe_activate_vjp(SMOE_RELU, 4, a, du, da);
    SAME(u, ((double[]){0, 0, 0x1p-1074, 0}), 4, "ReLU");
    SAME(da, ((double[]){0, 0, 3, 0}), 4, "ReLU' * 3");
    for (int k = 0; k < 4; k++) ck_assert_msg(!signbit(u[k]) && !signbit(da[k]), "a negative zero at %d", k);
}
END_TEST

/* The tanh form stays within 1/1000 of GELU (the largest distance is about 4.7e-4), and differs from it. */
/* evidence properties: E.2 E.3 */
START_TEST(the_two_gelus_are_close_and_different)
{
    double worst = 0;
    for (int k = -80; k <= 80; k++) {
        double a = k / 16.0, u, v;
        smoe_activate(SMOE_GELU, 1, &a, &u);
        smoe_activate(SMOE_GELU_TANH, 1, &a, &v);
        worst = fmax(worst, fabs(u - v));
    }
    ck_assert_msg(worst < 1e-3 && worst > 1e-4, "largest distance %.2e", worst);
}
END_TEST

/* --- errors --- */

/* Runs forward or vjp on outputs that hold a pattern and says whether the pattern is still there. */
static bool untouched(const expert *e, const double *q, const arrays *kept, bool backward, smoe_status *status)
{
    size_t m = e->T * e->h, s[6] = {m, m, m, e->T * e->d, m, e->n};
    double *block[6];
    for (int i = 0; i < 6; i++) {
        block[i] = room(s[i]);
        memset(block[i], 0x5a, s[i] * sizeof(double));
    }
    if (backward)
        *status = vjp(e, q, kept->a, kept->v, kept->u, block[5], block[4], block[0]);
    else
        *status = forward(e, q, block[0], block[1], block[2], block[3]);
    bool same = true;
    for (int i = 0; i < 6; i++) {
        for (size_t k = 0; k < s[i] * sizeof(double); k++) same = same && ((unsigned char *)block[i])[k] == 0x5a;
        free(block[i]);
    }
    return same;
}

START_TEST(non_finite_inputs_are_refused)
{
    expert e = expert_of(_i, 2, 3, 2);
    double *q = room(e.n), *dy = room(e.T * e.d);
    uint64_t seed = 19;
    slopes_fill(&seed, 1.0, e.n, q);
    slopes_fill(&seed, 1.0, e.T * e.d, dy);
    e.dy = dy;
    arrays w = arrays_of(&e);
    ck_assert_int_eq(forward(&e, q, w.a, w.v, w.u, w.y), SMOE_OK);
    const double bad[3] = {NAN, INFINITY, -INFINITY};
    smoe_status status;
    for (size_t k = 0; k < e.n; k++) {
        double right = q[k];
        q[k] = bad[k % 3];
        ck_assert_msg(untouched(&e, q, &w, false, &status), "%s: forward wrote something", kind_name[_i]);
        ck_assert_msg(status == SMOE_EDOM, "%s: element %zu: %s", kind_name[_i], k, smoe_strerror(status));
        bool read = _i == SWIGLU || k < e.at[2] || (k >= e.at[3] && k < e.at[4]); /* the vjp needs no bias */
        bool clean = untouched(&e, q, &w, true, &status);
        ck_assert_msg(status == (read ? SMOE_EDOM : SMOE_OK), "%s vjp: element %zu: %s", kind_name[_i], k,
                      smoe_strerror(status));
        ck_assert_msg(!read || clean, "%s: vjp wrote something", kind_name[_i]);
        q[k] = right;
    }
    double *kept[4] = {dy, w.a, w.u, w.v};
    for (int i = 0; i < (_i == SWIGLU ? 4 : 3); i++) {
        double right = kept[i][1];
        kept[i][1] = bad[i % 3];
        ck_assert_msg(untouched(&e, q, &w, true, &status) && status == SMOE_EDOM, "%s vjp: kept %d", kind_name[_i], i);
        kept[i][1] = right;
    }
    arrays_free(&w);
    free(q), free(dy);
}
END_TEST

START_TEST(sizes_of_zero_are_refused)
{
    double nan[64], buffer[64];
    for (int k = 0; k < 64; k++) nan[k] = NAN; /* the size is looked at first */
    smoe_status status;
    arrays w = {buffer, buffer, buffer, buffer, buffer, buffer};
    for (int i = 0; i < 2; i++) {
        expert e = expert_of(_i, 2, i == 0 ? 0 : 2, i == 0 ? 2 : 0);
        e.dy = nan;
        ck_assert_msg(untouched(&e, nan, &w, false, &status) && status == SMOE_EINVAL, "%s forward", kind_name[_i]);
        ck_assert_msg(untouched(&e, nan, &w, true, &status) && status == SMOE_EINVAL, "%s vjp", kind_name[_i]);
    }
    smoe_activation none = (smoe_activation)9;
    double *b = buffer;
    ck_assert_int_eq(smoe_expert_mlp(none, 1, 1, 1, nan, nan, nan, nan, nan, b, b, b), SMOE_EINVAL);
    ck_assert_int_eq(smoe_expert_mlp_vjp(none, 1, 1, 1, nan, nan, nan, nan, nan, nan, b, b, b, b, b, b), SMOE_EINVAL);
}
END_TEST

/* 2^600 times 2^600 is beyond the format, in the first product, in the second and in the gradients. */
START_TEST(overflow_is_reported)
{
    const double big = 0x1p600, zero = 0, one = 1;
    double a, v, u, y, g[5], da, dv;
    ck_assert_int_eq(smoe_expert_relu(1, 1, 1, &big, &big, &zero, &one, &zero, &a, &u, &y), SMOE_EOVRFLW);
    const double minus = -0x1p600; /* a = -inf, u = 0, y finite: still refused, the intermediate overflowed */
    ck_assert_int_eq(smoe_expert_relu(1, 1, 1, &big, &minus, &zero, &one, &zero, &a, &u, &y), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_expert_gelu(1, 1, 1, &big, &one, &zero, &big, &zero, &a, &u, &y), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_expert_swiglu(1, 1, 1, &big, &one, &one, &one, &a, &v, &u, &y), SMOE_EOVRFLW);
    ck_assert_int_eq(
        smoe_expert_relu_vjp(1, 1, 1, &big, &one, &one, &one, &one, &big, g, g + 1, g + 2, g + 3, g + 4, &da),
        SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_expert_swiglu_vjp(1, 1, 1, &one, &one, &one, &big, &one, &one, &one, &big, g, g + 1, g + 2,
                                            g + 3, &da, &dv),
                     SMOE_EOVRFLW);
}
END_TEST

/* The last number of one output is beyond the format, and no other number is. */
START_TEST(overflow_of_the_last_number)
{
    const size_t T = _i ? 4 : 2, D = 3, H = _i ? 2 : 4;
    const double big = LONE_BIG;
    double *out[6];
    for (int i = 0; i < 6; i++) out[i] = zeros();
    for (int w1_is = 0; w1_is < 2; w1_is++) { /* a = -inf and u = 0; then y */
        const double first = w1_is ? big : -big;
        LONE_OVERFLOW(smoe_expert_relu(T, D, H, lone(T * D, w1_is ? 1 : big), lone(H * D, first), zeros(),
                                       lone(D * H, w1_is ? big : 0), zeros(), out[0], out[1], out[2]));
    }
    LONE_OVERFLOW(smoe_expert_gelu(T, D, H, lone(T * D, 1), lone(H * D, big), zeros(), lone(D * H, big), zeros(),
                                   out[0], out[1], out[2]));
    LONE_OVERFLOW(smoe_expert_swiglu(T, D, H, lone(T * D, 1), lone(H * D, big), lone(H * D, 1), lone(D * H, big),
                                     out[0], out[1], out[2], out[3]));
    LONE_OVERFLOW(smoe_expert_keyvalue(T, D, H, lone(T * D, big), lone(D * H, -big), zeros(), out[0], out[1], out[2]));
    LONE_OVERFLOW(
        smoe_expert_keyvalue(T, D, H, lone(T * D, 1), lone(D * H, big), lone(H * D, big), out[0], out[1], out[2]));

#define MLP(x, w1, w2, a, u, dy)                                                                                       \
    LONE_OVERFLOW(smoe_expert_relu_vjp(T, D, H, x, w1, w2, a, u, dy, out[0], out[1], out[2], out[3], out[4], out[5]))
    MLP(zeros(), lone(H * D, big), lone(D * H, big), lone(T * H, 1), zeros(), lone(T * D, 1)); /* dx */
    MLP(lone(T * D, big), zeros(), lone(D * H, big), lone(T * H, 1), zeros(), lone(T * D, 1)); /* dw1 */
    MLP(zeros(), zeros(), zeros(), zeros(), lone(T * H, big), lone(T * D, big)); /* dw2 */
    double *dy = lone(T * D, LONE_TOP), *a = lone(T * H, 1);
    dy[D - 1] = LONE_TOP;
    MLP(zeros(), zeros(), zeros(), zeros(), zeros(), dy); /* db2, of two tokens */
    dy = lone(T * D, 1);
    dy[D - 1] = a[H - 1] = 1;
    MLP(zeros(), zeros(), lone(D * H, LONE_TOP), a, zeros(), dy); /* db1 */
#undef MLP

#define GLU(x, w1, w3, w2, a, v, u, dy)                                                                                \
    LONE_OVERFLOW(                                                                                                     \
        smoe_expert_swiglu_vjp(T, D, H, x, w1, w3, w2, a, v, u, dy, out[0], out[1], out[2], out[3], out[4], out[5]))
    GLU(zeros(), lone(H * D, big), zeros(), lone(D * H, big), lone(T * H, 2), lone(T * H, 1), zeros(),
        lone(T * D, 1)); /* dx */
    GLU(lone(T * D, big), zeros(), zeros(), lone(D * H, 1), zeros(), lone(T * H, 2 * big), zeros(),
        lone(T * D, 1)); /* dw1: da = v/2, dv = 0 */
    GLU(lone(T * D, big), zeros(), zeros(), lone(D * H, 1), lone(T * H, 2 * big), zeros(), zeros(),
        lone(T * D, 1)); /* dw3: da = 0, dv = silu(a) */
    GLU(zeros(), zeros(), zeros(), zeros(), zeros(), zeros(), lone(T * H, big), lone(T * D, big)); /* dw2 */
#undef GLU

#define MEMORY(x, keys, values, a, u, dy)                                                                              \
    LONE_OVERFLOW(smoe_expert_keyvalue_vjp(T, D, H, x, keys, values, a, u, dy, out[0], out[1], out[2], out[3]))
    MEMORY(zeros(), lone(D * H, big), lone(H * D, big), lone(T * H, 1), zeros(), lone(T * D, 1)); /* dx */
    MEMORY(lone(T * D, big), zeros(), lone(H * D, big), lone(T * H, 1), zeros(), lone(T * D, 1)); /* dkeys */
    MEMORY(zeros(), zeros(), zeros(), zeros(), lone(T * H, big), lone(T * D, big)); /* dvalues */
#undef MEMORY
}
END_TEST

int main(void)
{
    Suite *s = suite_create("expert");
    TCase *t = tcase_create("E.1 to E.4");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, relu_by_hand);
    tcase_add_test(t, gelu_by_hand);
    tcase_add_test(t, gelu_tanh_by_hand);
    tcase_add_test(t, swiglu_by_hand);
    tcase_add_loop_test(t, gradient_is_the_slope, 0, KINDS);
    tcase_add_loop_test(t, a_wrong_gradient_is_seen, 0, KINDS);
    tcase_add_loop_test(t, batching_changes_no_bit, 0, KINDS);
    tcase_add_loop_test(t, scales_exactly_where_it_is_homogeneous, 0, KINDS);
    tcase_add_loop_test(t, no_tokens, 0, KINDS);
    tcase_add_test(t, zeros_and_subnormals);
    tcase_add_test(t, the_two_gelus_are_close_and_different);
    tcase_add_loop_test(t, non_finite_inputs_are_refused, 0, KINDS);
    tcase_add_loop_test(t, sizes_of_zero_are_refused, 0, KINDS);
    tcase_add_test(t, overflow_is_reported);
    tcase_add_loop_test(t, overflow_of_the_last_number, 0, 2);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
