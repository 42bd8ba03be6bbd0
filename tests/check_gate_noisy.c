/* Gates that add noise, drop, or squash, spec/02-gate.md G.5 to G.11 and G.17: hand-computed values, gradients by two
 * methods, properties, every error path. */
#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gate.h"
#include "lone.h"
#include "slopes.h"

#define LN2 0.69314718055994530942
#define LN3 1.09861228866810969140

/* Within `ulps` units of the last place of `want`; false for NaN. */
static bool near(double got, double want, double ulps) { return fabs(got - want) <= ulps * 0x1p-52 * fabs(want); }

#define SAME(got, want, n, what)                                                                                       \
    for (size_t same_k = 0; same_k < (n); same_k++)                                                                    \
    ck_assert_msg((got)[same_k] == (want)[same_k], "%s[%zu] is %a, by hand it is %a", what, same_k, (got)[same_k],     \
                  (want)[same_k])
#define NEAR(got, want, n, ulps, what)                                                                                 \
    for (size_t near_k = 0; near_k < (n); near_k++)                                                                    \
    ck_assert_msg(near((got)[near_k], (want)[near_k], ulps), "%s[%zu] is %a, by hand it is %a", what, near_k,          \
                  (got)[near_k], (want)[near_k])
#define WHOLE(got, want, n, what)                                                                                      \
    for (size_t whole_k = 0; whole_k < (n); whole_k++)                                                                 \
    ck_assert_msg((got)[whole_k] == (want)[whole_k], "%s[%zu] is %zu, by hand it is %zu", what, whole_k,               \
                  (got)[whole_k], (size_t)(want)[whole_k])

/* --- hand-computed values: the worked examples of the specification --- */

/* xn = (1, 5), r = (1 + 10 + 1, -5);  dr = (1, 3): dxn = (1, 2 - 3), dx = dxn * noise. */
/* evidence hand: G.5 */
START_TEST(jitter_by_hand)
{
    const double x[] = {2, 4}, noise[] = {0.5, 1.25}, wr[] = {1, 2, 0, -1}, br[] = {1, 0}, dr[] = {1, 3};
    double r[2], xn[2], dx[2], dwr[4], dbr[2];
    ck_assert_int_eq(smoe_gate_jitter(1, 2, 2, x, noise, wr, br, r, xn), SMOE_OK);
    SAME(xn, ((double[]){1, 5}), 2, "G.5 x * noise");
    SAME(r, ((double[]){12, -5}), 2, "G.5 r");
    ck_assert_int_eq(smoe_gate_jitter_vjp(1, 2, 2, noise, xn, wr, dr, dx, dwr, dbr), SMOE_OK);
    SAME(dbr, dr, 2, "G.5 dbr");
    SAME(dwr, ((double[]){1, 5, 3, 15}), 4, "G.5 dwr = dr xn'");
    SAME(dx, ((double[]){0.5, -1.25}), 2, "G.5 dx");
}
END_TEST

/* x = 1, Wg = (0,1,0), Wn = 0: std = ln 2, noise (1, -1/ln 2, -1): noisy = (ln 2, 0, -ln 2), I = (0,1), w = (2/3, 1/3).
 * dweight = (9, 0): dnoisy = (2, -2, 0), draw = dnoisy noise / 2 = (1, 1/ln 2, 0), dx = Wg' dnoisy = -2. */
/* evidence hand: G.6 */
START_TEST(noisy_by_hand)
{
    const double x[] = {1}, wg[] = {0, 1, 0}, wn[] = {0, 0, 0}, noise[] = {1, -1 / LN2, -1}, dweight[] = {9, 0};
    double clean[3], raw[3], std[3], noisy[3], weight[2], margin, value[2], dx[1], dwg[3], dwn[3], dnoisy[3], draw[3];
    size_t index[2];
    ck_assert_int_eq(
        smoe_gate_noisy(1, 1, 3, 2, 0, x, wg, wn, noise, clean, raw, std, noisy, index, weight, &margin, value),
        SMOE_OK);
    SAME(clean, wg, 3, "G.6 clean");
    SAME(std, ((double[]){LN2, LN2, LN2}), 3, "G.6 std = softplus(0)");
    ck_assert_msg(noisy[0] == LN2 && fabs(noisy[1]) <= 0x1p-52 && noisy[2] == -LN2, "G.6 noisy");
    WHOLE(index, ((size_t[]){0, 1}), 2, "G.6 index: clean scores would choose expert 1 first");
    NEAR(weight, ((double[]){2.0 / 3, 1.0 / 3}), 2, 4, "G.6 weight");
    ck_assert_msg(fabs(margin - LN2) <= 0x1p-51, "G.6 margin is %a", margin);
    ck_assert_int_eq(smoe_gate_noisy_vjp(1, 1, 3, 2, x, wg, wn, noise, raw, index, weight, dweight, dx, dwg, dwn,
                                         dnoisy, draw, value),
                     SMOE_OK);
    NEAR(dwg, ((double[]){2, -2, 0}), 3, 8, "G.6 dwg");
    NEAR(dwn, ((double[]){1, 1 / LN2, 0}), 3, 8, "G.6 dwn");
    NEAR(dx, ((double[]){-2}), 1, 8, "G.6 dx");
    ck_assert_int_eq(
        smoe_gate_noisy(1, 1, 3, 2, 0.25, x, wg, wn, noise, clean, raw, std, noisy, index, weight, &margin, value),
        SMOE_OK);
    NEAR(std, ((double[]){LN2 + 0.25, LN2 + 0.25, LN2 + 0.25}), 3, 1, "G.6 std with epsilon 1/4");
}
END_TEST

/* r = (ln 3, 0, -5): sigmoids 3/4 and 1/2.  Plain, dweight (16, 4): dr = (16 3/16, 4/4, 0).  Normalised: S = 5/4,
 * weights (3/5, 2/5), dweight (5, 0), mean 3: dr = (3/5 2 1/4, 2/5 (-3) 1/2, 0). */
/* evidence hand: G.7 */
START_TEST(sigmoid_by_hand)
{
    const double r[] = {LN3, 0, -5}, dplain[] = {16, 4}, dnorm[] = {5, 0};
    double weight[2], margin, value[2], dr[3], dvalue[2];
    size_t index[2];
    ck_assert_int_eq(smoe_gate_sigmoid(SMOE_SIGMOID_PLAIN, 1, 3, 2, r, index, weight, &margin, value), SMOE_OK);
    WHOLE(index, ((size_t[]){0, 1}), 2, "G.7 index");
    NEAR(weight, ((double[]){0.75, 0.5}), 2, 4, "G.7 weight");
    ck_assert_msg(margin == 5, "G.7 margin is %a", margin);
    ck_assert_int_eq(smoe_gate_sigmoid_vjp(SMOE_SIGMOID_PLAIN, 1, 3, 2, index, value, weight, dplain, dr, dvalue),
                     SMOE_OK);
    NEAR(dr, ((double[]){3, 1, 0}), 3, 8, "G.7 dr");
    ck_assert_int_eq(smoe_gate_sigmoid(SMOE_SIGMOID_NORM, 1, 3, 2, r, index, weight, &margin, value), SMOE_OK);
    NEAR(weight, ((double[]){0.6, 0.4}), 2, 4, "G.7 weight, normalised");
    ck_assert_int_eq(smoe_gate_sigmoid_vjp(SMOE_SIGMOID_NORM, 1, 3, 2, index, value, weight, dnorm, dr, dvalue),
                     SMOE_OK);
    NEAR(dr, ((double[]){0.3, -0.6, 0}), 3, 8, "G.7 dr, normalised");
}
END_TEST

/* x = (0, ln 3), rows (1,0), (0,1), (1,1): r = (0, ln 3, ln 3), a tie: I = (1,2), weights 1/2, margin ln 3.
 * dweight (4,0): dr = (0, 1, -1), dx = (-1, 1 - 1). */
/* evidence hand: G.8 */
START_TEST(frozen_by_hand)
{
    const double x[] = {0, LN3}, wr[] = {1, 0, 0, 1, 1, 1}, dweight[] = {4, 0};
    double r[3], weight[2], margin, value[2], dx[2], dr[3];
    size_t index[2];
    ck_assert_int_eq(smoe_gate_frozen(1, 2, 3, 2, x, wr, r, index, weight, &margin, value), SMOE_OK);
    SAME(r, ((double[]){0, LN3, LN3}), 3, "G.8 r");
    WHOLE(index, ((size_t[]){1, 2}), 2, "G.8 index");
    SAME(weight, ((double[]){0.5, 0.5}), 2, "G.8 weight");
    ck_assert_msg(margin == LN3, "G.8 margin is %a", margin);
    ck_assert_int_eq(smoe_gate_frozen_vjp(1, 2, 3, 2, wr, index, weight, dweight, dx, dr, value), SMOE_OK);
    SAME(dx, ((double[]){-1, 0}), 2, "G.8 dx");
}
END_TEST

/* 8 to 16 in 16 steps rounds t/2: halves at odd t.  1 to 6 in 5 steps is t + 1. */
/* evidence hand: G.9 */
START_TEST(schedule_by_hand)
{
    const int64_t step[] = {0, 1, 2, 3, 5, 15, 16, 17, -1, INT64_MAX, INT64_MIN};
    size_t k[11];
    ck_assert_int_eq(smoe_dropout_schedule(11, step, 8, 16, 16, SMOE_HALF_EVEN, k), SMOE_OK);
    WHOLE(k, ((size_t[]){8, 8, 9, 10, 10, 16, 16, 16, 8, 16, 8}), 11, "G.9 halves to even");
    ck_assert_int_eq(smoe_dropout_schedule(11, step, 8, 16, 16, SMOE_HALF_AWAY, k), SMOE_OK);
    WHOLE(k, ((size_t[]){8, 9, 9, 10, 11, 16, 16, 16, 8, 16, 8}), 11, "G.9 halves away from zero");
    ck_assert_int_eq(smoe_dropout_schedule(11, step, 1, 6, 5, SMOE_HALF_EVEN, k), SMOE_OK);
    WHOLE(k, ((size_t[]){1, 2, 3, 4, 6, 6, 6, 6, 1, 6, 1}), 11, "G.9 one more each step");
    /* 3 experts in 7 steps: 3t/7 = 0, .43, .86, 1.29, 1.71, 2.14, 2.57, 3 */
    const int64_t eight[] = {0, 1, 2, 3, 4, 5, 6, 7};
    ck_assert_int_eq(smoe_dropout_schedule(8, eight, 2, 5, 7, SMOE_HALF_EVEN, k), SMOE_OK);
    WHOLE(k, ((size_t[]){2, 2, 3, 3, 4, 4, 5, 5}), 8, "G.9 no half at all");
}
END_TEST

enum { GT = 3, GN = 3 };
static const double gshard_r[GT * GN] = {LN3, 0, -9, LN3, 0, -9, 0, LN3, -9};

/* Shares 3/4, 1/4.  Capacity 2: expert 0 is full after the first choices of tokens 1 and 2, expert 1 after the first
 * choice of token 3 and the second of token 1.  dweight (16, 0): before, 3/4 (16 - 12) = 3 and 1/4 (0 - 12) = -3 for
 * every token. */
/* evidence hand: G.10 */
START_TEST(gshard_by_hand)
{
    const double u[GT] = {0.4, 0.5, 0.6}, dweight[] = {16, 0, 16, 0, 16, 0};
    double weight[6], margin[3], share[6], p[3], dr[9];
    size_t index[6], kept[6], count[3];
    ck_assert_int_eq(smoe_gate_gshard(GT, GN, 2, SMOE_SECOND_ALL, 0, SMOE_NORM_BEFORE, gshard_r, u, index, weight, kept,
                                      margin, share, p, count),
                     SMOE_OK);
    WHOLE(index, ((size_t[]){0, 1, 0, 1, 1, 0}), 6, "G.10 index");
    WHOLE(kept, ((size_t[]){1, 1, 1, 0, 1, 0}), 6, "G.10 kept");
    WHOLE(count, ((size_t[]){2, 2, 0}), 3, "G.10 places taken");
    NEAR(weight, ((double[]){0.75, 0.25, 0.75, 0, 0.75, 0}), 6, 4, "G.10 weight, before");
    SAME(margin, ((double[]){9, 9, 9}), 3, "G.10 margin");
    ck_assert_int_eq(smoe_gate_gshard_vjp(GT, GN, SMOE_NORM_BEFORE, index, kept, share, weight, dweight, dr), SMOE_OK);
    NEAR(dr, ((double[]){3, -3, 0, 3, -3, 0, -3, 3, 0}), 9, 16, "G.10 dr, before");
    ck_assert_int_eq(smoe_gate_gshard(GT, GN, 2, SMOE_SECOND_ALL, 0, SMOE_NORM_AFTER, gshard_r, u, index, weight, kept,
                                      margin, share, p, count),
                     SMOE_OK);
    NEAR(weight, ((double[]){0.75, 0.25, 1, 0, 1, 0}), 6, 4, "G.10 weight, after");
    ck_assert_int_eq(smoe_gate_gshard_vjp(GT, GN, SMOE_NORM_AFTER, index, kept, share, weight, dweight, dr), SMOE_OK);
    NEAR(dr, ((double[]){3, -3, 0, 0, 0, 0, 0, 0, 0}), 9, 16, "G.10 dr, after");
}
END_TEST

/* 2 share = 1/2 against u = 0.4, 0.5 + a little, 0.6;  share = 1/4 against thresholds on either side. */
/* evidence hand: G.10 */
START_TEST(gshard_policies_by_hand)
{
    const double u[GT] = {0.4, 0.5078125, 0.6};
    const struct {
        smoe_second policy;
        double threshold;
        size_t kept[6];
    } want[] = {{SMOE_SECOND_RANDOM, 0, {1, 1, 1, 0, 1, 0}},
                {SMOE_SECOND_THRESHOLD, 0.24, {1, 1, 1, 1, 1, 1}},
                {SMOE_SECOND_THRESHOLD, 0.26, {1, 0, 1, 0, 1, 0}},
                {SMOE_SECOND_ALL, 0, {1, 1, 1, 1, 1, 1}},
                {SMOE_SECOND_NONE, 0, {1, 0, 1, 0, 1, 0}}};
    double weight[6], margin[3], share[6], p[3];
    size_t index[6], kept[6], count[3];
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        ck_assert_int_eq(smoe_gate_gshard(GT, GN, 0, want[i].policy, want[i].threshold, SMOE_NORM_BEFORE, gshard_r, u,
                                          index, weight, kept, margin, share, p, count),
                         SMOE_OK);
        WHOLE(kept, want[i].kept, 6, "G.10 kept by policy");
    }
    /* A tie: 2 share is 1, exactly, and not above a draw of 1. */
    const double equal[] = {5, 5, 5, 5, 5, 5, 5, 5, 5}, edge[] = {1, 0.9921875, 0};
    ck_assert_int_eq(smoe_gate_gshard(GT, GN, 0, SMOE_SECOND_RANDOM, 0, SMOE_NORM_AFTER, equal, edge, index, weight,
                                      kept, margin, share, p, count),
                     SMOE_OK);
    WHOLE(kept, ((size_t[]){1, 0, 1, 1, 1, 1}), 6, "G.10 kept at a tie");
    SAME(weight, ((double[]){1, 0, 0.5, 0.5, 0.5, 0.5}), 6, "G.10 weight at a tie");
    WHOLE(index, ((size_t[]){0, 1, 0, 1, 0, 1}), 6, "G.10 index at a tie");
}
END_TEST

/* e = (1,2): V1 e = (3,-1), z = (3,0), Wr = (3,-6), x = 2: r = (6,-12).  dr = (1,1): dx = -3, dWr = (2,2),
 * dz = (2 - 4, 10 + 14), off where z = 0: (-2, 0), de = (-2,-2). */
/* evidence hand: G.11 */
START_TEST(hyper_by_hand)
{
    const double x[] = {2}, e[] = {1, 2}, v1[] = {1, 1, 1, -1}, v2[] = {1, 5, -2, 7}, dr[] = {1, 1};
    double r[2], z[2], wr[2], dx[1], de[2], dwr[2], dz[2];
    ck_assert_int_eq(smoe_gate_hyper(1, 1, 2, 2, 2, x, e, v1, v2, r, z, wr), SMOE_OK);
    SAME(z, ((double[]){3, 0}), 2, "G.11 z");
    SAME(wr, ((double[]){3, -6}), 2, "G.11 wr");
    SAME(r, ((double[]){6, -12}), 2, "G.11 r");
    ck_assert_int_eq(smoe_gate_hyper_vjp(1, 1, 2, 2, 2, x, v1, v2, z, wr, dr, dx, de, dwr, dz), SMOE_OK);
    SAME(dx, ((double[]){-3}), 1, "G.11 dx");
    SAME(dwr, ((double[]){2, 2}), 2, "G.11 dwr");
    SAME(dz, ((double[]){-2, 0}), 2, "G.11 dz");
    SAME(de, ((double[]){-2, -2}), 2, "G.11 de");
}
END_TEST

/* p = (1/2, 1/4, 1/4): H = 3/2 ln 2;  equal logits: ln 3;  a leader 800 ahead: 0. */
/* evidence hand: G.17 */
START_TEST(entropy_by_hand)
{
    const double r[] = {LN2, 0, 0, 5, 5, 5, 800, 0, -3}, one[] = {7};
    double H[3], mean, p[3], log_p[3];
    ck_assert_int_eq(smoe_gate_entropy(2, 3, r, H, &mean, p, log_p), SMOE_OK);
    NEAR(H, ((double[]){1.5 * LN2, LN3}), 2, 4, "G.17 entropy");
    ck_assert_msg(near(mean, (1.5 * LN2 + LN3) / 2, 4), "G.17 mean is %a", mean);
    ck_assert_int_eq(smoe_gate_entropy(3, 3, r, H, &mean, p, log_p), SMOE_OK);
    ck_assert_msg(H[2] == 0 && near(mean, (1.5 * LN2 + LN3) / 3, 4), "G.17: 0 ln 0 is 0, not %a", H[2]);
    ck_assert_int_eq(smoe_gate_entropy(1, 1, one, H, &mean, p, log_p), SMOE_OK);
    ck_assert_msg(H[0] == 0 && !signbit(H[0]) && mean == 0, "G.17: one expert has entropy %a", H[0]);
}
END_TEST

/* --- gradients: <cotangent, outputs> by the definition in extended precision, selection and drops held --- */

enum { T = 5, D = 4, N = 5, K = 3, M = 3, G = 4, ROOM = 128 };

typedef struct {
    double fixed[ROOM]; /* the inputs without gradient: noise, u, V1 and V2 in the order of the equation */
    double cot[T * N];
    size_t index[T * K], kept[2 * T];
    double epsilon;
    bool flag; /* normalised (G.7), after (G.10) */
} problem;

static long double inner(size_t n, const long double *a, const long double *b)
{
    long double s = 0;
    for (size_t k = 0; k < n; k++) s += a[k] * b[k];
    return s;
}

static double weighed(size_t n, const double *cot, const double *y)
{
    long double s = 0;
    for (size_t k = 0; k < n; k++) s += (long double)cot[k] * y[k];
    return (double)s;
}

static long double exact_softmax(const double *cot, const size_t *index, size_t n, const long double *h)
{
    long double sum = 0, s = 0;
    for (size_t j = 0; j < n; j++) sum += expl(h[index[j]]);
    for (size_t j = 0; j < n; j++) s += cot[j] * expl(h[index[j]]) / sum;
    return s;
}

/* Slopes against the exact form, the adjoint identity block by block, and a negative control for each. */
static void gradient(const char *what, size_t n, const double *theta, double *g, slopes_exact exact,
                     slopes_library library, const void *q, const size_t *at, size_t blocks)
{
    double order = slopes_order(n, theta, g, exact, q, 1);
    ck_assert_msg(order > 1.8, "%s: Taylor remainder falls with order %.3f, not 2", what, order);
    for (size_t b = 0; b < blocks; b++) {
        double off = slopes_adjoint(n, theta, g, library, q, at[b], at[b + 1] - at[b], 1);
        ck_assert_msg(off <= 1e-8, "%s, block %zu: the adjoint identity is off by %.1e", what, b, off);
        size_t k = at[b];
        for (size_t l = at[b]; l < at[b + 1]; l++)
            if (fabs(g[l]) > fabs(g[k])) k = l;
        const double right = g[k];
        g[k] = 1.01 * right + 0.001;
        order = slopes_order(n, theta, g, exact, q, 1);
        off = slopes_adjoint(n, theta, g, library, q, at[b], at[b + 1] - at[b], 1);
        ck_assert_msg(order < 1.5 && off > 1e-6, "%s, block %zu: a wrong gradient is accepted, %.2f, %.1e", what, b,
                      order, off);
        g[k] = right;
    }
}

static long double exact_jitter(const void *test, const long double *q)
{
    const problem *P = test;
    const long double *wr = q + T * D, *br = wr + N * D;
    long double phi = 0;
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) {
            long double r = br[i];
            for (size_t k = 0; k < D; k++) r += q[t * D + k] * P->fixed[t * D + k] * wr[i * D + k];
            phi += P->cot[t * N + i] * r;
        }
    return phi;
}

static double library_jitter(const void *test, const double *q)
{
    const problem *P = test;
    double r[T * N], xn[T * D];
    ck_assert_int_eq(smoe_gate_jitter(T, D, N, q, P->fixed, q + T * D, q + T * D + N * D, r, xn), SMOE_OK);
    return weighed(T * N, P->cot, r);
}

/* evidence gradient: G.5 */
START_TEST(gradient_of_jitter)
{
    enum { n = T * D + N * D + N };
    const size_t at[] = {0, T * D, T * D + N * D, n};
    problem P = {.flag = false};
    double q[n], g[n], r[T * N], xn[T * D];
    uint64_t seed = 5;
    slopes_fill(&seed, 1.0, n, q);
    slopes_fill(&seed, 1.0, T * N, P.cot);
    for (size_t k = 0; k < T * D; k++) P.fixed[k] = 1 + slopes_draw(&seed);
    ck_assert_int_eq(smoe_gate_jitter(T, D, N, q, P.fixed, q + at[1], q + at[2], r, xn), SMOE_OK);
    ck_assert_int_eq(smoe_gate_jitter_vjp(T, D, N, P.fixed, xn, q + at[1], P.cot, g, g + at[1], g + at[2]), SMOE_OK);
    gradient("G.5", n, q, g, exact_jitter, library_jitter, &P, at, 3);
}
END_TEST

static long double exact_noisy(const void *test, const long double *q)
{
    const problem *P = test;
    const long double *wg = q + T * D, *wn = wg + N * D;
    long double phi = 0;
    for (size_t t = 0; t < T; t++) {
        long double h[N];
        for (size_t i = 0; i < N; i++)
            h[i] = inner(D, q + t * D, wg + i * D) +
                   P->fixed[t * N + i] * (logl(1 + expl(inner(D, q + t * D, wn + i * D))) + P->epsilon);
        phi += exact_softmax(P->cot + t * K, P->index + t * K, K, h);
    }
    return phi;
}

static void run_noisy(const problem *P, const double *q, double *raw, size_t *index, double *weight, double *margin)
{
    double clean[T * N], std[T * N], noisy[T * N], value[K];
    ck_assert_int_eq(smoe_gate_noisy(T, D, N, K, P->epsilon, q, q + T * D, q + T * D + N * D, P->fixed, clean, raw, std,
                                     noisy, index, weight, margin, value),
                     SMOE_OK);
}

static double library_noisy(const void *test, const double *q)
{
    const problem *P = test;
    double raw[T * N], weight[T * K], margin[T];
    size_t index[T * K];
    run_noisy(P, q, raw, index, weight, margin);
    ck_assert_msg(memcmp(index, P->index, sizeof index) == 0, "the step changes the selection: choose other inputs");
    return weighed(T * K, P->cot, weight);
}

/* evidence gradient: G.6 */
START_TEST(gradient_of_noisy)
{
    enum { n = T * D + 2 * N * D };
    const size_t at[] = {0, T * D, T * D + N * D, n};
    problem P = {.epsilon = 0.01};
    double q[n], g[n], raw[T * N], weight[T * K], margin[T], dnoisy[T * N], draw[T * N], value[K];
    uint64_t seed = 6;
    slopes_fill(&seed, 1.0, n, q);
    slopes_fill(&seed, 2.0, T * N, P.fixed);
    slopes_fill(&seed, 1.0, T * K, P.cot);
    run_noisy(&P, q, raw, P.index, weight, margin);
    for (size_t t = 0; t < T; t++) ck_assert_msg(margin[t] > 0.01, "margin %g: choose other inputs", margin[t]);
    ck_assert_int_eq(smoe_gate_noisy_vjp(T, D, N, K, q, q + at[1], q + at[2], P.fixed, raw, P.index, weight, P.cot, g,
                                         g + at[1], g + at[2], dnoisy, draw, value),
                     SMOE_OK);
    gradient("G.6", n, q, g, exact_noisy, library_noisy, &P, at, 3);
}
END_TEST

/* Logits a quarter apart at least, so that no step of a check changes the selection. */
static void apart(uint64_t *seed, size_t rows, size_t cols, double *r)
{
    for (size_t t = 0; t < rows; t++)
        for (size_t i = 0; i < cols; i++)
            r[t * cols + (3 * i + t) % cols] = 0.4 * (double)i - 1 + 0.07 * slopes_draw(seed);
}

static long double exact_sigmoid(const void *test, const long double *r)
{
    const problem *P = test;
    long double phi = 0;
    for (size_t t = 0; t < T; t++) {
        long double S = 0, sum = 0;
        for (size_t j = 0; j < K; j++) {
            const long double s = 1 / (1 + expl(-r[t * N + P->index[t * K + j]]));
            S += s;
            sum += P->cot[t * K + j] * s;
        }
        phi += P->flag ? sum / S : sum;
    }
    return phi;
}

static double library_sigmoid(const void *test, const double *r)
{
    const problem *P = test;
    double weight[T * K], margin[T], value[T * K];
    size_t index[T * K];
    ck_assert_int_eq(
        smoe_gate_sigmoid(P->flag ? SMOE_SIGMOID_NORM : SMOE_SIGMOID_PLAIN, T, N, K, r, index, weight, margin, value),
        SMOE_OK);
    return weighed(T * K, P->cot, weight);
}

/* evidence gradient: G.7 */
START_TEST(gradient_of_sigmoid)
{
    const size_t at[] = {0, T * N};
    const smoe_sigmoid_form form = _i ? SMOE_SIGMOID_NORM : SMOE_SIGMOID_PLAIN;
    problem P = {.flag = _i != 0};
    double r[T * N], g[T * N], weight[T * K], margin[T], value[T * K], dvalue[K];
    uint64_t seed = 7;
    apart(&seed, T, N, r);
    slopes_fill(&seed, 1.0, T * K, P.cot);
    ck_assert_int_eq(smoe_gate_sigmoid(form, T, N, K, r, P.index, weight, margin, value), SMOE_OK);
    ck_assert_int_eq(smoe_gate_sigmoid_vjp(form, T, N, K, P.index, value, weight, P.cot, g, dvalue), SMOE_OK);
    gradient(_i ? "G.7 normalised" : "G.7", T * N, r, g, exact_sigmoid, library_sigmoid, &P, at, 1);
}
END_TEST

static long double exact_frozen(const void *test, const long double *x)
{
    const problem *P = test;
    long double phi = 0;
    for (size_t t = 0; t < T; t++) {
        long double r[N];
        for (size_t i = 0; i < N; i++) {
            r[i] = 0;
            for (size_t k = 0; k < D; k++) r[i] += x[t * D + k] * P->fixed[i * D + k];
        }
        phi += exact_softmax(P->cot + t * K, P->index + t * K, K, r);
    }
    return phi;
}

static double library_frozen(const void *test, const double *x)
{
    const problem *P = test;
    double r[T * N], weight[T * K], margin[T], value[K];
    size_t index[T * K];
    ck_assert_int_eq(smoe_gate_frozen(T, D, N, K, x, P->fixed, r, index, weight, margin, value), SMOE_OK);
    ck_assert_msg(memcmp(index, P->index, sizeof index) == 0, "the step changes the selection: choose other inputs");
    return weighed(T * K, P->cot, weight);
}

/* evidence gradient: G.8 */
START_TEST(gradient_of_frozen)
{
    const size_t at[] = {0, T * D};
    problem P = {.flag = false};
    double x[T * D], g[T * D], r[T * N], weight[T * K], margin[T], value[K], dr[N];
    uint64_t seed = 8;
    slopes_fill(&seed, 1.0, T * D, x);
    slopes_fill(&seed, 1.0, N * D, P.fixed);
    slopes_fill(&seed, 1.0, T * K, P.cot);
    ck_assert_int_eq(smoe_gate_frozen(T, D, N, K, x, P.fixed, r, P.index, weight, margin, value), SMOE_OK);
    for (size_t t = 0; t < T; t++) ck_assert_msg(margin[t] > 0.001, "margin %g: choose other inputs", margin[t]);
    ck_assert_int_eq(smoe_gate_frozen_vjp(T, D, N, K, P.fixed, P.index, weight, P.cot, g, dr, value), SMOE_OK);
    gradient("G.8", T * D, x, g, exact_frozen, library_frozen, &P, at, 1);
}
END_TEST

static long double exact_gshard(const void *test, const long double *r)
{
    const problem *P = test;
    long double phi = 0;
    for (size_t t = 0; t < T; t++) {
        long double both = 0, kept = 0, sum = 0;
        for (size_t j = 0; j < 2; j++) {
            const long double e = expl(r[t * N + P->index[2 * t + j]]);
            both += e;
            kept += (long double)P->kept[2 * t + j] * e;
            sum += P->cot[2 * t + j] * (long double)P->kept[2 * t + j] * e;
        }
        phi += !P->flag ? sum / both : kept > 0 ? sum / kept : 0;
    }
    return phi;
}

enum { CAPACITY = 2 };

static double library_gshard(const void *test, const double *r)
{
    const problem *P = test;
    double weight[2 * T], margin[T], share[2 * T], p[N];
    size_t index[2 * T], kept[2 * T], count[N];
    ck_assert_int_eq(smoe_gate_gshard(T, N, CAPACITY, SMOE_SECOND_ALL, 0, P->flag ? SMOE_NORM_AFTER : SMOE_NORM_BEFORE,
                                      r, P->fixed, index, weight, kept, margin, share, p, count),
                     SMOE_OK);
    return weighed(2 * T, P->cot, weight);
}

/* Five tokens that want the same two experts: both choices, one, or none are kept. */
/* evidence gradient: G.10 */
START_TEST(gradient_of_gshard)
{
    const size_t at[] = {0, T * N};
    const smoe_norm_when norm = _i ? SMOE_NORM_AFTER : SMOE_NORM_BEFORE;
    problem P = {.flag = _i != 0};
    double r[T * N], g[T * N], weight[2 * T], margin[T], share[2 * T], p[N];
    size_t count[N], both = 0, one = 0, none = 0;
    uint64_t seed = 10;
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) r[t * N + (t / 4 + i) % N] = 1 - 0.5 * (double)i + 0.1 * slopes_draw(&seed);
    slopes_fill(&seed, 1.0, 2 * T, P.cot);
    ck_assert_int_eq(smoe_gate_gshard(T, N, CAPACITY, SMOE_SECOND_ALL, 0, norm, r, P.fixed, P.index, weight, P.kept,
                                      margin, share, p, count),
                     SMOE_OK);
    for (size_t t = 0; t < T; t++) {
        both += P.kept[2 * t] && P.kept[2 * t + 1];
        one += P.kept[2 * t] != P.kept[2 * t + 1];
        none += !P.kept[2 * t] && !P.kept[2 * t + 1];
    }
    ck_assert_msg(both && one && none, "%zu %zu %zu: choose other inputs", both, one, none);
    ck_assert_int_eq(smoe_gate_gshard_vjp(T, N, norm, P.index, P.kept, share, weight, P.cot, g), SMOE_OK);
    gradient(_i ? "G.10 after" : "G.10 before", T * N, r, g, exact_gshard, library_gshard, &P, at, 1);
}
END_TEST

static long double exact_hyper(const void *test, const long double *q)
{
    const problem *P = test;
    const double *v1 = P->fixed, *v2 = P->fixed + G * M;
    const long double *e = q + T * D;
    long double phi = 0, z[G];
    for (size_t a = 0; a < G; a++) {
        z[a] = 0;
        for (size_t k = 0; k < M; k++) z[a] += v1[a * M + k] * e[k];
        z[a] = z[a] > 0 ? z[a] : 0;
    }
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++)
            for (size_t c = 0; c < D; c++) {
                long double w = 0;
                for (size_t a = 0; a < G; a++) w += v2[(i * D + c) * G + a] * z[a];
                phi += P->cot[t * N + i] * w * q[t * D + c];
            }
    return phi;
}

static double library_hyper(const void *test, const double *q)
{
    const problem *P = test;
    double r[T * N], z[G], wr[N * D];
    ck_assert_int_eq(smoe_gate_hyper(T, D, N, M, G, q, q + T * D, P->fixed, P->fixed + G * M, r, z, wr), SMOE_OK);
    return weighed(T * N, P->cot, r);
}

/* evidence gradient: G.11 */
START_TEST(gradient_of_hyper)
{
    enum { n = T * D + M };
    const size_t at[] = {0, T * D, n};
    problem P = {.flag = false};
    double q[n], g[n], r[T * N], z[G], wr[N * D], dwr[N * D], dz[G];
    size_t on = 0;
    uint64_t seed = 13;
    slopes_fill(&seed, 1.0, n, q);
    slopes_fill(&seed, 1.0, G * M + N * D * G, P.fixed);
    slopes_fill(&seed, 1.0, T * N, P.cot);
    ck_assert_int_eq(smoe_gate_hyper(T, D, N, M, G, q, q + T * D, P.fixed, P.fixed + G * M, r, z, wr), SMOE_OK);
    for (size_t a = 0; a < G; a++) on += z[a] > 0.01;
    ck_assert_msg(on > 0 && on < G, "%zu hidden units are on: choose other inputs", on);
    ck_assert_int_eq(
        smoe_gate_hyper_vjp(T, D, N, M, G, q, P.fixed, P.fixed + G * M, z, wr, P.cot, g, g + T * D, dwr, dz), SMOE_OK);
    gradient("G.11", n, q, g, exact_hyper, library_hyper, &P, at, 2);
}
END_TEST

/* --- properties --- */

/* Multipliers of 1 are the linear gate, bit for bit; of 2 for a coordinate, that of a token twice as long there. */
/* evidence properties: G.5 */
START_TEST(jitter_is_the_linear_gate_of_another_token)
{
    double x[T * D], twice[T * D], noise[T * D], wr[N * D], br[N], r[2][T * N], xn[T * D];
    uint64_t seed = 15;
    slopes_fill(&seed, 1.0, T * D, x);
    slopes_fill(&seed, 1.0, N * D, wr);
    slopes_fill(&seed, 1.0, N, br);
    for (size_t k = 0; k < T * D; k++) {
        noise[k] = k % 3 == 0 ? 2 : 1;
        twice[k] = k % 3 == 0 ? 2 * x[k] : x[k];
    }
    ck_assert_int_eq(smoe_gate_jitter(T, D, N, x, noise, wr, br, r[0], xn), SMOE_OK);
    ck_assert_int_eq(smoe_gate_linear(T, D, N, twice, wr, br, r[1]), SMOE_OK);
    ck_assert_msg(memcmp(r[0], r[1], sizeof r[0]) == 0, "multipliers 1 and 2 do not double coordinates");
    double dx[T * D], dwr[N * D], dbr[N], dx1[T * D], dwr1[N * D], dbr1[N];
    ck_assert_int_eq(smoe_gate_jitter_vjp(T, D, N, noise, xn, wr, r[0], dx, dwr, dbr), SMOE_OK);
    ck_assert_int_eq(smoe_gate_linear_vjp(T, D, N, twice, wr, r[0], dx1, dwr1, dbr1), SMOE_OK);
    ck_assert_msg(memcmp(dwr, dwr1, sizeof dwr) == 0 && memcmp(dbr, dbr1, sizeof dbr) == 0, "gradients of weights");
    for (size_t k = 0; k < T * D; k++) ck_assert_msg(dx[k] == noise[k] * dx1[k], "dx[%zu]", k);
    ck_assert_int_eq(smoe_gate_jitter_vjp(0, D, N, noise, xn, wr, r[0], dx, dwr, dbr), SMOE_OK);
    for (size_t k = 0; k < N * D; k++) ck_assert_msg(dwr[k] == 0 && dbr[k % N] == 0, "no tokens, but a gradient");
}
END_TEST

/* Without noise it is G.1 (no bias) and G.2, bit for bit, and Wn has no gradient.  K = 1: no gradient at all.  A batch
 * is its tokens. */
/* evidence properties: G.6 */
START_TEST(no_noise_is_the_plain_gate)
{
    problem P = {.epsilon = 0};
    double q[T * D + 2 * N * D], raw[T * N], weight[T * K], margin[T], r[T * N], w[T * K], m[T], p[T * N];
    const double zero[N] = {0}, *wg = q + T * D, *wn = wg + N * D;
    size_t index[T * K];
    uint64_t seed = 16;
    slopes_fill(&seed, 1.0, T * D + 2 * N * D, q);
    run_noisy(&P, q, raw, P.index, weight, margin);
    ck_assert_int_eq(smoe_gate_linear(T, D, N, q, wg, zero, r), SMOE_OK);
    ck_assert_int_eq(smoe_gate_weights(SMOE_TOPK_SOFTMAX, T, N, K, r, index, w, m, p), SMOE_OK);
    ck_assert_msg(memcmp(index, P.index, sizeof index) == 0 && memcmp(w, weight, sizeof w) == 0, "not G.2 of G.1");
    ck_assert_msg(memcmp(m, margin, sizeof m) == 0, "margins");
    double dx[T * D], dwg[N * D], dwn[N * D], dnoisy[T * N], draw[T * N], value[K], cot[T * K];
    slopes_fill(&seed, 1.0, T * K, cot);
    ck_assert_int_eq(
        smoe_gate_noisy_vjp(T, D, N, K, q, wg, wn, P.fixed, raw, index, weight, cot, dx, dwg, dwn, dnoisy, draw, value),
        SMOE_OK);
    for (size_t k = 0; k < N * D; k++) ck_assert_msg(dwn[k] == 0, "no noise, but Wn has a gradient");

    double one[T], clean[T * N], std[T * N], noisy[T * N];
    size_t I[T];
    slopes_fill(&seed, 2.0, T * N, P.fixed);
    ck_assert_int_eq(smoe_gate_noisy(T, D, N, 1, 0, q, wg, wn, P.fixed, clean, raw, std, noisy, I, one, margin, value),
                     SMOE_OK);
    ck_assert_int_eq(
        smoe_gate_noisy_vjp(T, D, N, 1, q, wg, wn, P.fixed, raw, I, one, cot, dx, dwg, dwn, dnoisy, draw, value),
        SMOE_OK);
    for (size_t k = 0; k < N * D; k++) ck_assert_msg(dwn[k] == 0 && dwg[k] == 0, "K = 1, but a gradient");
    for (size_t k = 0; k < T * N; k++) ck_assert_msg(std[k] > 0, "std[%zu] is %a", k, std[k]);
    double c1[N], r1[N], s1[N], n1[N], w1, m1;
    size_t i1;
    ck_assert_int_eq(
        smoe_gate_noisy(1, D, N, 1, 0, q + 2 * D, wg, wn, P.fixed + 2 * N, c1, r1, s1, n1, &i1, &w1, &m1, value),
        SMOE_OK);
    ck_assert_msg(memcmp(n1, noisy + 2 * N, sizeof n1) == 0 && i1 == I[2] && m1 == margin[2], "a batch is its tokens");
}
END_TEST

/* The size of the noise in the tails: softplus(-800) is 0 and leaves the clean score, softplus(800) is 800. */
/* evidence properties: G.6 */
START_TEST(size_of_the_noise)
{
    const double clean[] = {1, 1, 1}, raw[] = {-800, 800, -40}, noise[] = {3, -2, 1}, one[] = {1, 1, 1};
    double std[3], noisy[3], draw[3];
    ck_assert_int_eq(smoe_noisy_scores(3, clean, raw, noise, 0, std, noisy), SMOE_OK);
    SAME(std, ((double[]){0, 800, smoe_exp(-40)}), 3, "std: e^-40 is right to the last place");
    SAME(noisy, ((double[]){1, -1599, 1 + smoe_exp(-40)}), 3, "noisy");
    ck_assert_int_eq(smoe_noisy_scores_vjp(3, raw, noise, one, draw), SMOE_OK);
    ck_assert_msg(draw[0] == 0 && draw[1] == -2 && near(draw[2], smoe_exp(-40), 2), "slopes of the size");
}
END_TEST

/* Normalised weights sum to 1 and follow the order; plain ones lie in (0,1) and depend on their own logit only. */
/* evidence properties: G.7 */
START_TEST(sigmoid_weights)
{
    double r[T * N], w[T * K], v[T * K], plain[T * K], margin[T], value[T * K], dr[T * N], dvalue[K];
    size_t index[T * K];
    uint64_t seed = 17;
    apart(&seed, T, N, r);
    ck_assert_int_eq(smoe_gate_sigmoid(SMOE_SIGMOID_NORM, T, N, K, r, index, w, margin, value), SMOE_OK);
    ck_assert_int_eq(smoe_gate_sigmoid(SMOE_SIGMOID_PLAIN, T, N, K, r, index, plain, margin, value), SMOE_OK);
    for (size_t t = 0; t < T; t++) {
        const double S = smoe_sum(K, plain + t * K);
        ck_assert_msg(near(smoe_sum(K, w + t * K), 1, K), "token %zu: normalised weights sum to %a", t,
                      smoe_sum(K, w + t * K));
        for (size_t j = 0; j < K; j++) {
            const double s = plain[t * K + j];
            ck_assert_msg(s > 0 && s < 1 && (j == 0 || s < plain[t * K + j - 1]), "token %zu, place %zu: %a", t, j, s);
            ck_assert_msg(w[t * K + j] == s / S && s == smoe_sigmoid(value[t * K + j]), "token %zu, place %zu", t, j);
        }
    }
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++)
            if (i != index[t * K] && i != index[t * K + 1] && i != index[t * K + 2]) r[t * N + i] -= 5;
    ck_assert_int_eq(smoe_gate_sigmoid(SMOE_SIGMOID_NORM, T, N, K, r, index, v, margin, value), SMOE_OK);
    ck_assert_msg(memcmp(v, w, sizeof v) == 0, "an expert that is not chosen has a say");
    ck_assert_int_eq(smoe_gate_sigmoid(SMOE_SIGMOID_NORM, T, N, 1, r, index, v, margin, value), SMOE_OK);
    ck_assert_int_eq(smoe_gate_sigmoid_vjp(SMOE_SIGMOID_NORM, T, N, 1, index, value, v, plain, dr, dvalue), SMOE_OK);
    for (size_t k = 0; k < T * N; k++) ck_assert_msg(v[k / N] == 1 && dr[k] == 0, "K = 1, normalised");
    ck_assert_int_eq(smoe_gate_sigmoid(SMOE_SIGMOID_PLAIN, 0, N, K, r, index, v, margin, value), SMOE_OK);
}
END_TEST

/* Where sigmoids are subnormal the weights and their gradient still are right; where all are 0 there is no ratio. */
/* evidence properties: G.7 */
START_TEST(sigmoid_extremes)
{
    const double low[] = {-745, -745, -1000}, lower[] = {-746, -746, -1000}, dw[] = {1, -1};
    double w[2], margin, value[2], dr[3], dvalue[2];
    size_t index[2];
    ck_assert_int_eq(smoe_gate_sigmoid(SMOE_SIGMOID_NORM, 1, 3, 2, low, index, w, &margin, value), SMOE_OK);
    SAME(w, ((double[]){0.5, 0.5}), 2, "weights of two equal subnormal sigmoids");
    ck_assert_int_eq(smoe_gate_sigmoid_vjp(SMOE_SIGMOID_NORM, 1, 3, 2, index, value, w, dw, dr, dvalue), SMOE_OK);
    SAME(dr, ((double[]){0.5, -0.5, 0}), 3, "gradient at subnormal sigmoids, where 1/S is infinite");
    ck_assert_int_eq(smoe_gate_sigmoid(SMOE_SIGMOID_NORM, 1, 3, 2, lower, index, w, &margin, value), SMOE_EDOM);
    ck_assert_int_eq(smoe_weights_sigmoid_norm(3, 2, lower, index, w, &margin, value), SMOE_EDOM);
    ck_assert_int_eq(smoe_gate_sigmoid(SMOE_SIGMOID_PLAIN, 1, 3, 2, lower, index, w, &margin, value), SMOE_OK);
    SAME(w, ((double[]){0, 0}), 2, "sigmoids that underflow");
    const double ties[] = {50, 60, 50};
    ck_assert_int_eq(smoe_gate_sigmoid(SMOE_SIGMOID_PLAIN, 1, 3, 2, ties, index, w, &margin, value), SMOE_OK);
    WHOLE(index, ((size_t[]){1, 0}), 2, "saturated sigmoids tie, logits do not; among equals the lower index");
}
END_TEST

/* The frozen gate is G.1 without bias and G.2, and its sets are nested: a smaller K takes the first of a larger K's
 * experts.  The gradient of a token is that of G.1's. */
/* evidence properties: G.8 */
START_TEST(frozen_gate_is_linear_and_nested)
{
    double x[T * D], wr[N * D], r[T * N], r1[T * N], w[T * N], v[T * N], margin[T], value[N], p[T * N];
    const double zero[N] = {0};
    size_t all[T * N], I[T * N];
    uint64_t seed = 18;
    slopes_fill(&seed, 1.0, T * D, x);
    slopes_fill(&seed, 1.0, N * D, wr);
    ck_assert_int_eq(smoe_gate_frozen(T, D, N, N, x, wr, r, all, w, margin, value), SMOE_OK);
    ck_assert_int_eq(smoe_gate_linear(T, D, N, x, wr, zero, r1), SMOE_OK);
    SAME(r, r1, T * N, "logits");
    for (size_t k = 1; k <= N; k++) {
        ck_assert_int_eq(smoe_gate_frozen(T, D, N, k, x, wr, r, I, w, margin, value), SMOE_OK);
        for (size_t t = 0; t < T; t++)
            for (size_t j = 0; j < k; j++) ck_assert_msg(I[t * k + j] == all[t * N + j], "K = %zu is not nested", k);
        ck_assert_int_eq(smoe_gate_weights(SMOE_TOPK_SOFTMAX, T, N, k, r1, I, v, margin, p), SMOE_OK);
        SAME(w, v, T * k, "weights");
        double cot[T * N], dx[T * D], dr[N], dr1[T * N], dx1[T * D], dwr[N * D], dbr[N];
        slopes_fill(&seed, 1.0, T * k, cot);
        ck_assert_int_eq(smoe_gate_frozen_vjp(T, D, N, k, wr, I, w, cot, dx, dr, value), SMOE_OK);
        ck_assert_int_eq(smoe_gate_weights_vjp(SMOE_TOPK_SOFTMAX, T, N, k, I, v, p, cot, dr1, value), SMOE_OK);
        ck_assert_int_eq(smoe_gate_linear_vjp(T, D, N, x, wr, dr1, dx1, dwr, dbr), SMOE_OK);
        SAME(dx, dx1, T * D, "dx");
    }
}
END_TEST

/* Against the exact quotient in extended precision: the nearest whole number, halves as asked for; never falling. */
/* evidence properties: G.9 */
START_TEST(schedule_is_the_nearest_number)
{
    for (size_t span = 0; span < 12; span++)
        for (size_t steps = 1; steps < 60; steps++) {
            int64_t step[64];
            size_t even[64], away[64];
            for (size_t i = 0; i < 64; i++) step[i] = (int64_t)i - 2;
            ck_assert_int_eq(smoe_dropout_schedule(64, step, 3, 3 + span, steps, SMOE_HALF_EVEN, even), SMOE_OK);
            ck_assert_int_eq(smoe_dropout_schedule(64, step, 3, 3 + span, steps, SMOE_HALF_AWAY, away), SMOE_OK);
            for (size_t i = 0; i < 64; i++) {
                const int64_t t = step[i] < 0 ? 0 : step[i] > (int64_t)steps ? (int64_t)steps : step[i];
                const long double share = (long double)span * (long double)t / (long double)steps;
                ck_assert_msg(even[i] == 3 + (size_t)rintl(share), "span %zu, step %zu of %zu: %zu to even", span, i,
                              steps, even[i]);
                ck_assert_msg(away[i] == 3 + (size_t)roundl(share), "span %zu, step %zu of %zu: %zu away from zero",
                              span, i, steps, away[i]);
                ck_assert_msg(i == 0 || (even[i] >= even[i - 1] && away[i] >= away[i - 1]), "the schedule falls");
            }
        }
    /* (2^32 - 1) experts in 2^32 steps: 2^31 (2^32 - 1) / 2^32 = 2^31 - 1/2, a half with a product near 2^63. */
    const int64_t middle[] = {INT64_C(1) << 31};
    const size_t most = (SIZE_MAX >> 32) + 1; /* k_min is 1 */
    size_t k[2];
    ck_assert_int_eq(smoe_dropout_schedule(1, middle, 1, most, most, SMOE_HALF_EVEN, k), SMOE_OK);
    ck_assert_int_eq(smoe_dropout_schedule(1, middle, 1, most, most, SMOE_HALF_AWAY, k + 1), SMOE_OK);
    const size_t even = (size_t)1 << 31;
    ck_assert_msg(k[0] == 1 + even && k[1] == 1 + even, "2^31 - 1/2 is rounded to %zu and %zu", k[0] - 1, k[1] - 1);
}
END_TEST

/* Random tokens: no expert above its capacity, first choices untouched by the policy, sums of weights, and the plain
 * gate as a special case. */
/* evidence properties: G.10 */
START_TEST(gshard_keeps_its_promises)
{
    enum { TT = 40 };
    double r[TT * N], u[TT], weight[2 * TT], margin[TT], share[2 * TT], p[TT * N], w2[2 * TT], m2[TT];
    size_t index[2 * TT], kept[2 * TT], I2[2 * TT], first[2 * TT], count[N], again[N];
    uint64_t seed = 19;
    slopes_fill(&seed, 2.0, TT * N, r);
    for (size_t t = 0; t < TT; t++) u[t] = fabs(slopes_draw(&seed));
    for (size_t C = 0; C <= 20; C++)
        for (int norm = 0; norm < 2; norm++)
            for (int policy = 0; policy < 4; policy++) {
                ck_assert_int_eq(smoe_gate_gshard(TT, N, C, (smoe_second)policy, 0.3, (smoe_norm_when)norm, r, u, index,
                                                  weight, kept, margin, share, p, count),
                                 SMOE_OK);
                memset(again, 0, sizeof again);
                for (size_t a = 0; a < 2 * TT; a++) again[index[a]] += kept[a];
                for (size_t i = 0; i < N; i++)
                    ck_assert_msg(count[i] == again[i] && (C == 0 || count[i] <= C), "expert %zu takes %zu of %zu", i,
                                  count[i], C);
                for (size_t t = 0; t < TT; t++) {
                    const double sum = weight[2 * t] + weight[2 * t + 1];
                    const size_t n = kept[2 * t] + kept[2 * t + 1];
                    if (policy == 0) first[t] = kept[2 * t];
                    ck_assert_msg(kept[2 * t] == first[t], "token %zu: the policy changes a first choice", t);
                    ck_assert_msg(norm == 1 || n == 2 ? near(sum, n > 0, 2) : sum < 1, "token %zu, kept %zu: %a", t, n,
                                  sum);
                    for (size_t a = 2 * t; a < 2 * t + 2; a++)
                        ck_assert_msg(kept[a] ? weight[a] > 0 : weight[a] == 0, "weight %a, kept %zu", weight[a],
                                      kept[a]);
                }
            }
    ck_assert_int_eq(smoe_gate_gshard(TT, N, 0, SMOE_SECOND_ALL, 0, SMOE_NORM_AFTER, r, u, index, weight, kept, margin,
                                      share, p, count),
                     SMOE_OK);
    ck_assert_int_eq(smoe_gate_weights(SMOE_SOFTMAX_TOPK_RENORM, TT, N, 2, r, I2, w2, m2, p), SMOE_OK);
    ck_assert_msg(memcmp(weight, w2, sizeof w2) == 0 && memcmp(index, I2, sizeof I2) == 0 &&
                      memcmp(margin, m2, sizeof m2) == 0,
                  "all second choices sent, no capacity: not G.4 with K = 2");
}
END_TEST

/* One choice kept alone has weight 1 even where its probability underflows; what is dropped has no weight. */
/* evidence properties: G.10 */
START_TEST(gshard_extremes)
{
    const double r[] = {0, -800, -900, 0, -800, -900, -800, 0, -900}, u[] = {0, 0, 0}, dw[] = {1, 2, 3, 4, 5, 6};
    double weight[6], margin[3], share[6], p[3], dr[9];
    size_t index[6], kept[6], count[3];
    ck_assert_int_eq(smoe_gate_gshard(3, 3, 2, SMOE_SECOND_ALL, 0, SMOE_NORM_AFTER, r, u, index, weight, kept, margin,
                                      share, p, count),
                     SMOE_OK);
    WHOLE(kept, ((size_t[]){1, 1, 1, 0, 1, 0}), 6, "kept");
    SAME(weight, ((double[]){1, 0, 1, 0, 1, 0}), 6, "weights where second shares underflow");
    ck_assert_int_eq(smoe_gate_gshard(3, 3, 1, SMOE_SECOND_ALL, 0, SMOE_NORM_AFTER, r, u, index, weight, kept, margin,
                                      share, p, count),
                     SMOE_OK);
    WHOLE(kept, ((size_t[]){1, 0, 0, 0, 1, 0}), 6, "kept");
    /* Both tokens want expert 0; the second choice of both is 1, or 1 is free for the second token. */
    const double other[] = {0, -1, -2, 0, -3, -800}, alone[] = {0, -900, -1, 0, -800, -900};
    ck_assert_int_eq(smoe_gate_gshard(2, 3, 1, SMOE_SECOND_ALL, 0, SMOE_NORM_AFTER, other, u, index, weight, kept,
                                      margin, share, p, count),
                     SMOE_OK);
    SAME(weight + 2, ((double[]){0, 0}), 2, "a token of which nothing is kept");
    ck_assert_int_eq(smoe_gate_gshard_vjp(2, 3, SMOE_NORM_AFTER, index, kept, share, weight, dw, dr), SMOE_OK);
    SAME(dr + 3, ((double[]){0, 0, 0}), 3, "its gradient");
    ck_assert_int_eq(smoe_gate_gshard(2, 3, 1, SMOE_SECOND_ALL, 0, SMOE_NORM_AFTER, alone, u, index, weight, kept,
                                      margin, share, p, count),
                     SMOE_OK);
    WHOLE(kept, ((size_t[]){1, 1, 0, 1}), 4, "kept");
    SAME(weight + 2, ((double[]){0, 1}), 2, "a second choice alone, whose probability is 0 in binary64");
    ck_assert_int_eq(smoe_gate_gshard_vjp(2, 3, SMOE_NORM_AFTER, index, kept, share, weight, dw, dr), SMOE_OK);
    SAME(dr + 3, ((double[]){0, 0, 0}), 3, "its gradient");
}
END_TEST

/* Positive homogeneity: 4 e gives 4 r, bit for bit.  Off units: r = 0, de = 0.  Given Wr it is G.1 without bias. */
/* evidence properties: G.11 */
START_TEST(hyper_gate_is_homogeneous)
{
    double x[T * D], e[M], v1[G * M], v2[N * D * G], r[T * N], four[T * N], z[G], wr[N * D];
    const double zero[N] = {0};
    uint64_t seed = 20;
    slopes_fill(&seed, 1.0, T * D, x);
    slopes_fill(&seed, 1.0, M, e);
    slopes_fill(&seed, 1.0, G * M, v1);
    slopes_fill(&seed, 1.0, N * D * G, v2);
    ck_assert_int_eq(smoe_gate_hyper(T, D, N, M, G, x, e, v1, v2, r, z, wr), SMOE_OK);
    ck_assert_int_eq(smoe_gate_linear(T, D, N, x, wr, zero, four), SMOE_OK);
    SAME(r, four, T * N, "r = Wr x");
    for (size_t k = 0; k < M; k++) e[k] *= 4;
    ck_assert_int_eq(smoe_gate_hyper(T, D, N, M, G, x, e, v1, v2, four, z, wr), SMOE_OK);
    for (size_t k = 0; k < T * N; k++) ck_assert_msg(four[k] == 4 * r[k], "r[%zu] is not homogeneous", k);
    double dx[T * D], de[M], dwr[N * D], dz[G];
    for (size_t k = 0; k < M; k++) e[k] = fabs(e[k]);
    for (size_t k = 0; k < G * M; k++) v1[k] = -fabs(v1[k]);
    ck_assert_int_eq(smoe_gate_hyper(T, D, N, M, G, x, e, v1, v2, r, z, wr), SMOE_OK);
    ck_assert_int_eq(smoe_gate_hyper_vjp(T, D, N, M, G, x, v1, v2, z, wr, four, dx, de, dwr, dz), SMOE_OK);
    for (size_t k = 0; k < T * N; k++) ck_assert_msg(r[k] == 0, "all units are off, but r[%zu] is %a", k, r[k]);
    for (size_t k = 0; k < M; k++) ck_assert_msg(de[k] == 0, "all units are off, but de[%zu] is %a", k, de[k]);
    ck_assert_int_eq(smoe_gate_hyper_vjp(0, D, N, M, G, x, v1, v2, z, wr, four, dx, de, dwr, dz), SMOE_OK);
    for (size_t k = 0; k < M; k++) ck_assert_msg(de[k] == 0, "no tokens, but de[%zu] is %a", k, de[k]);
}
END_TEST

/* 0 <= H <= ln N; a shift of integer logits changes no bit; flatter logits have more entropy; a batch is its tokens. */
/* evidence properties: G.17 */
START_TEST(entropy_is_an_entropy)
{
    double r[T * N], H[T], flat[T], shifted[T], mean, m, p[N], log_p[N];
    uint64_t seed = 21;
    for (size_t k = 0; k < T * N; k++) r[k] = rint(9 * slopes_draw(&seed));
    ck_assert_int_eq(smoe_gate_entropy(T, N, r, H, &mean, p, log_p), SMOE_OK);
    ck_assert_msg(mean == smoe_sum(T, H) / T, "mean");
    for (size_t t = 0; t < T; t++)
        ck_assert_msg(H[t] >= 0 && H[t] <= smoe_log(N) * (1 + 0x1p-50), "token %zu: entropy %a", t, H[t]);
    for (size_t k = 0; k < T * N; k++) r[k] += 1000;
    ck_assert_int_eq(smoe_gate_entropy(T, N, r, shifted, &m, p, log_p), SMOE_OK);
    ck_assert_msg(memcmp(H, shifted, sizeof H) == 0 && m == mean, "a shift changes the entropy");
    for (size_t k = 0; k < T * N; k++) r[k] = (r[k] - 1000) / 2;
    ck_assert_int_eq(smoe_gate_entropy(T, N, r, flat, &m, p, log_p), SMOE_OK);
    for (size_t t = 0; t < T; t++) ck_assert_msg(flat[t] > H[t], "token %zu: half the logits, less entropy", t);
    ck_assert_int_eq(smoe_gate_entropy_token(N, r + N, &m, p, log_p), SMOE_OK);
    ck_assert_msg(m == flat[1], "a batch is its tokens");
}
END_TEST

/* --- errors --- */

typedef struct {
    size_t index[ROOM], kept[ROOM], count[ROOM];
    double a[ROOM], b[ROOM], c[ROOM], e[ROOM], f[ROOM], g[ROOM];
} outputs;

static bool poisoned(const outputs *o)
{
    const unsigned char *byte = (const unsigned char *)o;
    for (size_t k = 0; k < sizeof *o; k++)
        if (byte[k] != 0x5a) return false;
    return true;
}

#define REFUSED(call, want)                                                                                            \
    do {                                                                                                               \
        outputs o;                                                                                                     \
        memset(&o, 0x5a, sizeof o);                                                                                    \
        smoe_status refused = call;                                                                                    \
        ck_assert_msg(refused == (want), "%s: %s", #call, smoe_strerror(refused));                                     \
        ck_assert_msg(poisoned(&o), "%s wrote something", #call);                                                      \
    } while (0)

static double nans[ROOM], ones[ROOM], huge[ROOM];
static size_t beyond[ROOM], zeroth[ROOM];

static void fill(void)
{
    for (size_t k = 0; k < ROOM; k++) {
        nans[k] = NAN;
        ones[k] = 1;
        huge[k] = 0x1p1023;
        beyond[k] = 99;
        zeroth[k] = 0;
    }
}

START_TEST(sizes_that_make_no_sense)
{
    fill(); /* sizes come before values */
    const struct {
        size_t d, N, K;
    } bad[] = {{2, 0, 0}, {2, 0, 1}, {2, 4, 0}, {2, 4, 5}, {0, 4, 2}};
    for (size_t i = 0; i < 5; i++) {
        const size_t d = bad[i].d, n = bad[i].N, k = bad[i].K;
        REFUSED(smoe_gate_noisy(1, d, n, k, -1, nans, nans, nans, nans, o.a, o.b, o.c, o.e, o.index, o.f, o.g, o.g),
                SMOE_EINVAL);
        REFUSED(smoe_gate_noisy_vjp(1, d, n, k, nans, nans, nans, nans, nans, beyond, nans, nans, o.a, o.b, o.c, o.e,
                                    o.f, o.g),
                SMOE_EINVAL);
        REFUSED(smoe_gate_frozen(1, d, n, k, nans, nans, o.a, o.index, o.b, o.c, o.e), SMOE_EINVAL);
        REFUSED(smoe_gate_frozen_vjp(1, d, n, k, nans, beyond, nans, nans, o.a, o.b, o.c), SMOE_EINVAL);
        REFUSED(smoe_gate_frozen_token(d, n, k, nans, nans, o.a, o.index, o.b, o.c, o.e), SMOE_EINVAL);
        REFUSED(smoe_gate_frozen_token_vjp(d, n, k, nans, beyond, nans, nans, o.a, o.b, o.c), SMOE_EINVAL);
        if (d == 0) continue;
        REFUSED(smoe_weights_sigmoid(n, k, nans, o.index, o.a, o.b, o.c), SMOE_EINVAL);
        REFUSED(smoe_weights_sigmoid_vjp(n, k, beyond, nans, nans, o.a, o.b), SMOE_EINVAL);
        REFUSED(smoe_weights_sigmoid_norm(n, k, nans, o.index, o.a, o.b, o.c), SMOE_EINVAL);
        REFUSED(smoe_weights_sigmoid_norm_vjp(n, k, beyond, nans, nans, nans, o.a, o.b), SMOE_EINVAL);
        REFUSED(smoe_gate_sigmoid(SMOE_SIGMOID_NORM, 1, n, k, nans, o.index, o.a, o.b, o.c), SMOE_EINVAL);
        REFUSED(smoe_gate_sigmoid_vjp(SMOE_SIGMOID_NORM, 1, n, k, beyond, nans, nans, nans, o.a, o.b), SMOE_EINVAL);
    }
    const smoe_sigmoid_form form = (smoe_sigmoid_form)7;
    REFUSED(smoe_gate_sigmoid(form, 1, 4, 2, nans, o.index, o.a, o.b, o.c), SMOE_EINVAL);
    REFUSED(smoe_gate_sigmoid_vjp(form, 1, 4, 2, beyond, nans, nans, nans, o.a, o.b), SMOE_EINVAL);
    for (size_t i = 0; i < 2; i++) {
        const size_t d = i, n = 1 - i;
        REFUSED(smoe_gate_jitter(1, d, n, nans, nans, nans, nans, o.a, o.b), SMOE_EINVAL);
        REFUSED(smoe_gate_jitter_vjp(1, d, n, nans, nans, nans, nans, o.a, o.b, o.c), SMOE_EINVAL);
        REFUSED(smoe_gate_hyper(1, d, n, 1, 1, nans, nans, nans, nans, o.a, o.b, o.c), SMOE_EINVAL);
        REFUSED(smoe_gate_hyper(1, 1, 1, d, n, nans, nans, nans, nans, o.a, o.b, o.c), SMOE_EINVAL);
        REFUSED(smoe_gate_hyper_vjp(1, d, n, 1, 1, nans, nans, nans, nans, nans, nans, o.a, o.b, o.c, o.e),
                SMOE_EINVAL);
        REFUSED(smoe_gate_hyper_vjp(1, 1, 1, d, n, nans, nans, nans, nans, nans, nans, o.a, o.b, o.c, o.e),
                SMOE_EINVAL);
        REFUSED(smoe_hyper_weights(d, n, 1, nans, nans, nans, o.a, o.b), SMOE_EINVAL);
        REFUSED(smoe_hyper_weights_vjp(d, n, 1, nans, nans, nans, nans, o.a, o.b), SMOE_EINVAL);
        REFUSED(smoe_gate_entropy(d, n, nans, o.a, o.b, o.c, o.e), SMOE_EINVAL);
    }
    REFUSED(smoe_gate_entropy_token(0, nans, o.a, o.b, o.c), SMOE_EINVAL);
}
END_TEST

START_TEST(choices_that_make_no_sense)
{
    fill();
    const int64_t step[] = {1};
    REFUSED(smoe_dropout_schedule(1, step, 0, 2, 4, SMOE_HALF_EVEN, o.index), SMOE_EINVAL);
    REFUSED(smoe_dropout_schedule(1, step, 3, 2, 4, SMOE_HALF_EVEN, o.index), SMOE_EINVAL);
    REFUSED(smoe_dropout_schedule(1, step, 1, 2, 0, SMOE_HALF_EVEN, o.index), SMOE_EINVAL);
    REFUSED(smoe_dropout_schedule(1, step, 1, 2, 4, (smoe_half)7, o.index), SMOE_EINVAL);
    REFUSED(smoe_dropout_schedule(1, step, 1, SIZE_MAX, 2, SMOE_HALF_AWAY, o.index), SMOE_EINVAL);
    const struct {
        size_t N;
        smoe_second policy;
        smoe_norm_when norm;
    } bad[] = {{1, SMOE_SECOND_ALL, SMOE_NORM_AFTER},
               {3, (smoe_second)7, SMOE_NORM_AFTER},
               {3, SMOE_SECOND_ALL, (smoe_norm_when)7}};
    for (size_t i = 0; i < 3; i++) {
        REFUSED(smoe_gate_gshard(1, bad[i].N, 1, bad[i].policy, NAN, bad[i].norm, nans, nans, o.index, o.a, o.kept, o.b,
                                 o.c, o.e, o.count),
                SMOE_EINVAL);
        if (i != 1)
            REFUSED(smoe_gate_gshard_vjp(1, bad[i].N, bad[i].norm, beyond, beyond, nans, nans, nans, o.a), SMOE_EINVAL);
    }
}
END_TEST

START_TEST(values_that_are_refused)
{
    fill();
    REFUSED(smoe_jitter(3, nans, ones, o.a), SMOE_EDOM);
    REFUSED(smoe_jitter(3, ones, nans, o.a), SMOE_EDOM);
    REFUSED(smoe_noisy_scores(3, ones, ones, ones, -1, o.a, o.b), SMOE_EDOM);
    REFUSED(smoe_noisy_scores(3, ones, ones, ones, INFINITY, o.a, o.b), SMOE_EDOM);
    REFUSED(smoe_gate_noisy(1, 2, 4, 2, -1, ones, ones, ones, ones, o.a, o.b, o.c, o.e, o.index, o.f, o.g, o.g),
            SMOE_EDOM);
    REFUSED(smoe_gate_noisy(1, 2, 4, 2, NAN, ones, ones, ones, ones, o.a, o.b, o.c, o.e, o.index, o.f, o.g, o.g),
            SMOE_EDOM);
    REFUSED(smoe_gate_gshard(1, 3, 1, SMOE_SECOND_ALL, NAN, SMOE_NORM_AFTER, ones, ones, o.index, o.a, o.kept, o.b, o.c,
                             o.e, o.count),
            SMOE_EDOM);
    /* Each array in turn. */
    for (int bad = 0; bad < 8; bad++) {
#define IN(i) (bad == (i) ? nans : ones)
        const size_t *I = bad == 7 ? beyond : zeroth;
        if (bad < 4) {
            REFUSED(smoe_gate_jitter(1, 2, 3, IN(0), IN(1), IN(2), IN(3), o.a, o.b), SMOE_EDOM);
            REFUSED(smoe_gate_jitter_vjp(1, 2, 3, IN(0), IN(1), IN(2), IN(3), o.a, o.b, o.c), SMOE_EDOM);
            REFUSED(
                smoe_gate_noisy(1, 2, 4, 2, 0, IN(0), IN(1), IN(2), IN(3), o.a, o.b, o.c, o.e, o.index, o.f, o.g, o.g),
                SMOE_EDOM);
            REFUSED(smoe_gate_hyper(1, 2, 2, 2, 2, IN(0), IN(1), IN(2), IN(3), o.a, o.b, o.c), SMOE_EDOM);
            REFUSED(smoe_hyper_weights_vjp(2, 2, 2, IN(0), IN(1), IN(2), IN(3), o.a, o.b), SMOE_EDOM);
        }
        if (bad < 3) {
            REFUSED(smoe_noisy_scores(3, IN(0), IN(1), IN(2), 0, o.a, o.b), SMOE_EDOM);
            REFUSED(smoe_noisy_scores_vjp(3, IN(0), IN(1), IN(2), o.a), SMOE_EDOM);
            REFUSED(smoe_hyper_weights(2, 2, 2, IN(0), IN(1), IN(2), o.a, o.b), SMOE_EDOM);
        }
        if (bad < 2) {
            REFUSED(smoe_gate_frozen(1, 2, 3, 2, IN(0), IN(1), o.a, o.index, o.b, o.c, o.e), SMOE_EDOM);
            REFUSED(smoe_gate_frozen_token(2, 3, 2, IN(0), IN(1), o.a, o.index, o.b, o.c, o.e), SMOE_EDOM);
            REFUSED(smoe_gate_gshard(1, 3, 1, SMOE_SECOND_ALL, 0, SMOE_NORM_AFTER, IN(0), IN(1), o.index, o.a, o.kept,
                                     o.b, o.c, o.e, o.count),
                    SMOE_EDOM);
        }
        if (bad < 1) {
            REFUSED(smoe_weights_sigmoid(3, 2, nans, o.index, o.a, o.b, o.c), SMOE_EDOM);
            REFUSED(smoe_weights_sigmoid_norm(3, 2, nans, o.index, o.a, o.b, o.c), SMOE_EDOM);
            REFUSED(smoe_gate_sigmoid(SMOE_SIGMOID_PLAIN, 1, 3, 2, nans, o.index, o.a, o.b, o.c), SMOE_EDOM);
            REFUSED(smoe_gate_entropy(2, 3, nans, o.a, o.b, o.c, o.e), SMOE_EDOM);
            REFUSED(smoe_gate_entropy_token(3, nans, o.a, o.b, o.c), SMOE_EDOM);
        }
        if (bad < 3 || bad == 7) {
            REFUSED(smoe_gate_frozen_vjp(1, 2, 3, 2, IN(0), I, IN(1), IN(2), o.a, o.b, o.c), SMOE_EDOM);
            REFUSED(smoe_gate_frozen_token_vjp(2, 3, 2, IN(0), I, IN(1), IN(2), o.a, o.b, o.c), SMOE_EDOM);
            REFUSED(smoe_gate_sigmoid_vjp(SMOE_SIGMOID_NORM, 1, 3, 2, I, IN(0), IN(1), IN(2), o.a, o.b), SMOE_EDOM);
            REFUSED(smoe_weights_sigmoid_norm_vjp(3, 2, I, IN(0), IN(1), IN(2), o.a, o.b), SMOE_EDOM);
            REFUSED(smoe_gate_gshard_vjp(1, 3, SMOE_NORM_AFTER, I, zeroth, IN(0), IN(1), IN(2), o.a), SMOE_EDOM);
        }
        if (bad < 2 || bad == 7) REFUSED(smoe_weights_sigmoid_vjp(3, 2, I, IN(0), IN(1), o.a, o.b), SMOE_EDOM);
        REFUSED(smoe_gate_noisy_vjp(1, 2, 4, 2, IN(0), IN(1), IN(2), IN(3), IN(4), I, IN(5), IN(6), o.a, o.b, o.c, o.e,
                                    o.f, o.g),
                SMOE_EDOM);
        if (bad < 6)
            REFUSED(smoe_gate_hyper_vjp(1, 2, 2, 2, 2, IN(0), IN(1), IN(2), IN(3), IN(4), IN(5), o.a, o.b, o.c, o.e),
                    SMOE_EDOM);
#undef IN
    }
    REFUSED(smoe_gate_gshard_vjp(1, 3, SMOE_NORM_AFTER, zeroth, beyond, ones, ones, ones, o.a), SMOE_EDOM);
    size_t queue[4] = {1, 0, 1, 5}, kept[4] = {1, 1, 1, 1};
    REFUSED(smoe_gshard_capacity(2, 3, 1, queue, kept, o.count), SMOE_EDOM);
    WHOLE(kept, ((size_t[]){1, 1, 1, 1}), 4, "a refused queue");
}
END_TEST

/* A second token that is refused leaves the first one unwritten. */
START_TEST(a_late_value_is_refused_at_once)
{
    double r[] = {0, 1, 2, -800, -900, -800};
    REFUSED(smoe_gate_sigmoid(SMOE_SIGMOID_NORM, 2, 3, 2, r, o.index, o.a, o.b, o.c), SMOE_EDOM);
    r[5] = NAN;
    REFUSED(smoe_gate_sigmoid(SMOE_SIGMOID_PLAIN, 2, 3, 2, r, o.index, o.a, o.b, o.c), SMOE_EDOM);
    REFUSED(smoe_gate_frozen(3, 2, 3, 2, r, r + 1, o.a, o.index, o.b, o.c, o.e), SMOE_EDOM);
    REFUSED(smoe_gate_entropy(2, 3, r, o.a, o.b, o.c, o.e), SMOE_EDOM);
}
END_TEST

#define OVERFLOWS(call)                                                                                                \
    do {                                                                                                               \
        outputs o;                                                                                                     \
        smoe_status overflow = call;                                                                                   \
        ck_assert_msg(overflow == SMOE_EOVRFLW, "%s: %s", #call, smoe_strerror(overflow));                             \
    } while (0)

START_TEST(overflow_is_reported)
{
    fill();
    const double swing[] = {0x1.8p1023, -0x1.8p1023, 0, 0}, half[] = {0.5, 0.5}, most[] = {0.75, 0.25},
                 minus[] = {-1, -1, -1, -1};
    const double eights[] = {8, -8}, z[] = {1, 1};
    const size_t I[] = {0, 1};
    OVERFLOWS(smoe_jitter(2, huge, huge, o.a));
    OVERFLOWS(smoe_gate_jitter(1, 2, 2, huge, huge, ones, ones, o.a, o.b));
    OVERFLOWS(smoe_gate_jitter(1, 2, 2, huge, ones, ones, ones, o.a, o.b));
    OVERFLOWS(smoe_gate_jitter_vjp(1, 1, 1, huge, ones, ones, huge, o.a, o.b, o.c));
    OVERFLOWS(smoe_gate_jitter_vjp(1, 1, 2, huge, ones, huge, huge, o.a, o.b, o.c));
    OVERFLOWS(smoe_noisy_scores(2, huge, ones, huge, 1, o.a, o.b));
    OVERFLOWS(smoe_noisy_scores(2, ones, huge, ones, 0x1.fp1023, o.a, o.b));
    OVERFLOWS(smoe_noisy_scores_vjp(2, ones, huge, huge, o.a));
    OVERFLOWS(smoe_gate_noisy(1, 2, 2, 1, 0, huge, huge, ones, ones, o.a, o.b, o.c, o.e, o.index, o.f, o.g, o.g));
    OVERFLOWS(smoe_gate_noisy(1, 2, 2, 1, 0, huge, ones, huge, ones, o.a, o.b, o.c, o.e, o.index, o.f, o.g, o.g));
    OVERFLOWS(smoe_gate_noisy(1, 1, 2, 1, 0, huge, ones, ones, huge, o.a, o.b, o.c, o.e, o.index, o.f, o.g, o.g));
    OVERFLOWS(
        smoe_gate_noisy_vjp(1, 1, 2, 2, ones, ones, ones, ones, ones, I, most, swing, o.a, o.b, o.c, o.e, o.f, o.g));
    OVERFLOWS(
        smoe_gate_noisy_vjp(1, 1, 2, 2, huge, ones, ones, ones, ones, I, half, eights, o.a, o.b, o.c, o.e, o.f, o.g));
    OVERFLOWS(
        smoe_gate_noisy_vjp(1, 1, 2, 2, ones, swing, ones, ones, ones, I, half, eights, o.a, o.b, o.c, o.e, o.f, o.g));
    /* raw alone; the gradient of Wn alone, whose noise is 2^1000; the first of two tokens, so that no second is run */
    const double far[] = {0x1p1000, 0x1p1000}, long_x[] = {0x1p40};
    const double late[] = {0x1.8p1023, -0x1.8p1023, 1, 1}, two[] = {0.75, 0.25, 0.5, 0.5};
    const size_t II[] = {0, 1, 0, 1}, all[] = {1, 1, 1, 1};
    OVERFLOWS(smoe_gate_noisy(1, 1, 2, 1, 0, huge, ones, huge, ones, o.a, o.b, o.c, o.e, o.index, o.f, o.g, o.g));
    OVERFLOWS(
        smoe_gate_noisy_vjp(1, 1, 2, 2, long_x, ones, ones, far, ones, I, half, eights, o.a, o.b, o.c, o.e, o.f, o.g));
    OVERFLOWS(
        smoe_gate_noisy_vjp(2, 1, 2, 2, ones, ones, ones, ones, ones, II, two, late, o.a, o.b, o.c, o.e, o.f, o.g));
    OVERFLOWS(smoe_gate_frozen(2, 2, 2, 1, huge, huge, o.a, o.index, o.b, o.c, o.e));
    OVERFLOWS(smoe_gate_frozen_vjp(2, 1, 2, 2, ones, II, two, late, o.a, o.b, o.c));
    OVERFLOWS(smoe_gate_sigmoid_vjp(SMOE_SIGMOID_NORM, 2, 2, 2, II, minus, two, late, o.a, o.b));
    OVERFLOWS(smoe_gate_gshard_vjp(2, 2, SMOE_NORM_AFTER, II, all, two, two, late, o.a));
    OVERFLOWS(smoe_weights_sigmoid_norm_vjp(2, 2, I, minus, most, swing, o.a, o.b));
    OVERFLOWS(smoe_gate_frozen(1, 2, 2, 1, huge, huge, o.a, o.index, o.b, o.c, o.e));
    OVERFLOWS(smoe_gate_frozen_vjp(1, 2, 2, 2, ones, I, most, swing, o.a, o.b, o.c));
    OVERFLOWS(smoe_gate_frozen_vjp(1, 1, 2, 2, swing, I, half, eights, o.a, o.b, o.c));
    OVERFLOWS(smoe_gate_gshard_vjp(1, 2, SMOE_NORM_AFTER, I, (const size_t[]){1, 1}, half, most, swing, o.a));
    OVERFLOWS(smoe_hyper_weights(2, 1, 1, huge, huge, ones, o.a, o.b));
    OVERFLOWS(smoe_hyper_weights(1, 2, 1, huge, ones, huge, o.a, o.b));
    OVERFLOWS(smoe_gate_hyper(1, 2, 1, 1, 1, huge, ones, ones, huge, o.a, o.b, o.c));
    OVERFLOWS(smoe_gate_hyper(1, 1, 1, 2, 1, ones, huge, huge, ones, o.a, o.b, o.c));
    OVERFLOWS(smoe_hyper_weights_vjp(1, 2, 2, ones, huge, z, huge, o.a, o.b));
    OVERFLOWS(smoe_hyper_weights_vjp(1, 2, 1, huge, ones, z, huge, o.a, o.b));
    OVERFLOWS(smoe_gate_hyper_vjp(1, 1, 2, 1, 1, ones, ones, ones, z, huge, huge, o.a, o.b, o.c, o.e));
    OVERFLOWS(smoe_gate_hyper_vjp(2, 1, 1, 1, 1, huge, ones, ones, z, ones, ones, o.a, o.b, o.c, o.e));
}
END_TEST

/* The last number of one array is beyond the format, and no other number is. */
START_TEST(overflow_of_the_last_number)
{
    const size_t TT = _i ? 5 : 2, DD = 3, NN = _i ? 2 : 5, KK = 2, MM = _i ? 2 : 4, GG = _i ? 4 : 2;
    const double big = LONE_BIG;
    size_t index[ROOM] = {0};
    index[KK - 1] = index[TT * KK - 1] = NN - 1; /* weight and dweight below: dr is 0 but for the last of them */
    OVERFLOWS(smoe_jitter(DD, lone(DD, big), lone(DD, big), o.a));
    OVERFLOWS(smoe_gate_jitter(TT, DD, NN, lone(TT * DD, 1), lone(TT * DD, big), lone(NN * DD, big), zeros(), o.a,
                               o.b)); /* r */
    OVERFLOWS(smoe_gate_jitter(TT, DD, NN, lone(TT * DD, big), lone(TT * DD, big), zeros(), zeros(), o.a, o.b));
    OVERFLOWS(smoe_gate_jitter_vjp(TT, DD, NN, lone(TT * DD, big), zeros(), lone(NN * DD, 1), lone(TT * NN, big), o.a,
                                   o.b, o.c)); /* dx */
    OVERFLOWS(smoe_noisy_scores(NN, zeros(), lone(NN, big), lone(NN, big), 0, o.a, o.b));
    OVERFLOWS(smoe_noisy_scores_vjp(NN, zeros(), lone(NN, big), lone(NN, big), o.a));

#define NOISY(x, wg, wn, noise)                                                                                        \
    OVERFLOWS(smoe_gate_noisy(TT, DD, NN, KK, 0, x, wg, wn, noise, o.a, o.b, o.c, o.e, o.index, o.f, o.g, o.g))
    NOISY(lone(TT * DD, big), lone(NN * DD, big), zeros(), zeros()); /* clean */
    NOISY(lone(TT * DD, big), zeros(), lone(NN * DD, big), zeros()); /* raw */
    NOISY(lone(TT * DD, 1), zeros(), lone(NN * DD, big), lone(TT * NN, big)); /* noisy */
#undef NOISY
#define NOISY_VJP(x, wg, noise, dweight)                                                                               \
    OVERFLOWS(smoe_gate_noisy_vjp(TT, DD, NN, KK, x, wg, zeros(), noise, zeros(), index, lone(TT *KK, 0.5), dweight,   \
                                  o.a, o.b, o.c, o.e, o.f, o.g))
    NOISY_VJP(zeros(), lone(NN * DD, big), zeros(), lone(TT * KK, 4 * big)); /* dx */
    NOISY_VJP(lone(TT * DD, big), zeros(), zeros(), lone(TT * KK, 4 * big)); /* dwg */
    NOISY_VJP(lone(TT * DD, big), zeros(), lone(TT * NN, 2 * big), lone(TT * KK, 4)); /* dwn */
#undef NOISY_VJP
    OVERFLOWS(smoe_gate_frozen_token(DD, NN, KK, lone(DD, big), lone(NN * DD, big), o.a, o.index, o.b, o.c, o.e));
    OVERFLOWS(smoe_gate_frozen_token_vjp(DD, NN, KK, lone(NN * DD, big), index, lone(KK, 0.5), lone(KK, 4 * big), o.a,
                                         o.b, o.c));

    OVERFLOWS(
        smoe_hyper_weights(MM, GG, NN, lone(MM, -big), lone(GG * MM, big), zeros(), o.a, o.b)); /* z = 0 after it */
    OVERFLOWS(smoe_hyper_weights(MM, GG, NN, lone(MM, 1), lone(GG * MM, big), lone(NN * GG, big), o.a, o.b)); /* wr */
    OVERFLOWS(smoe_hyper_weights_vjp(MM, GG, NN, zeros(), lone(NN * GG, big), zeros(), lone(NN, big), o.a,
                                     o.b)); /* dz, where z is 0 */
    OVERFLOWS(smoe_hyper_weights_vjp(MM, GG, NN, lone(GG * MM, big), lone(NN * GG, 1), lone(GG, 1), lone(NN, big), o.a,
                                     o.b)); /* de */
    OVERFLOWS(smoe_gate_hyper(TT, DD, NN, MM, GG, lone(TT * DD, big), lone(MM, 1), lone(GG * MM, 1),
                              lone(NN * DD * GG, big), o.a, o.b, o.c)); /* r */
    OVERFLOWS(smoe_gate_hyper_vjp(TT, DD, NN, MM, GG, zeros(), zeros(), zeros(), zeros(), lone(NN * DD, big),
                                  lone(TT * NN, big), o.a, o.b, o.c, o.e)); /* dx */
    OVERFLOWS(smoe_gate_hyper_vjp(TT, DD, NN, MM, GG, lone(TT * DD, big), zeros(), zeros(), zeros(), zeros(),
                                  lone(TT * NN, big), o.a, o.b, o.c, o.e)); /* dwr */
}
END_TEST

/* Weights that are no numbers are refused before there is a token, so that what one token refuses cannot be why. */
START_TEST(no_tokens_and_no_numbers)
{
    enum { DD = 3, NN = 5, KK = 2 };
    REFUSED(smoe_gate_frozen(0, DD, NN, KK, zeros(), lone(NN * DD, NAN), o.a, o.index, o.b, o.c, o.e), SMOE_EDOM);
    REFUSED(smoe_gate_frozen_vjp(0, DD, NN, KK, lone(NN * DD, NAN), zeroth, zeros(), zeros(), o.a, o.b, o.c),
            SMOE_EDOM);
    REFUSED(smoe_gate_jitter(0, DD, NN, zeros(), zeros(), lone(NN * DD, NAN), zeros(), o.a, o.b), SMOE_EDOM);
    REFUSED(smoe_gate_jitter(0, DD, NN, zeros(), zeros(), zeros(), lone(NN, NAN), o.a, o.b), SMOE_EDOM);
}
END_TEST

/* The last number of one input is none, or the last index is that of no expert. */
START_TEST(the_last_number_is_refused)
{
    const size_t NN = _i ? 3 : 5, KK = _i ? 3 : 2, DD = _i ? 2 : 4, MM = _i ? 2 : 4, GG = _i ? 4 : 2;
    size_t off[ROOM] = {0};
    off[KK - 1] = NN;
    REFUSED(smoe_weights_sigmoid(NN, KK, lone(NN, NAN), o.index, o.a, o.b, o.c), SMOE_EDOM);
    REFUSED(smoe_weights_sigmoid_norm(NN, KK, lone(NN, NAN), o.index, o.a, o.b, o.c), SMOE_EDOM);
    REFUSED(smoe_gate_entropy_token(NN, lone(NN, NAN), o.a, o.b, o.c), SMOE_EDOM);
    for (int bad = 0; bad < 4; bad++) {
#define LAST(i, n) lone(n, bad == (i) ? NAN : 0)
        const size_t *I = bad == 3 ? off : zeroth;
        if (bad != 1) {
            REFUSED(smoe_gate_frozen_token_vjp(DD, NN, KK, LAST(0, NN * DD), I, zeros(), LAST(2, KK), o.a, o.b, o.c),
                    SMOE_EDOM);
            REFUSED(smoe_weights_sigmoid_vjp(NN, KK, I, LAST(0, KK), LAST(2, KK), o.a, o.b), SMOE_EDOM);
        } else
            REFUSED(smoe_gate_frozen_token_vjp(DD, NN, KK, zeros(), I, LAST(1, KK), zeros(), o.a, o.b, o.c), SMOE_EDOM);
        REFUSED(smoe_weights_sigmoid_norm_vjp(NN, KK, I, LAST(0, KK), LAST(1, KK), LAST(2, KK), o.a, o.b), SMOE_EDOM);
        if (bad == 3) continue;
        REFUSED(smoe_noisy_scores(NN, LAST(0, NN), LAST(1, NN), LAST(2, NN), 0, o.a, o.b), SMOE_EDOM);
        REFUSED(smoe_noisy_scores_vjp(NN, LAST(0, NN), LAST(1, NN), LAST(2, NN), o.a), SMOE_EDOM);
        REFUSED(smoe_hyper_weights(MM, GG, NN, LAST(0, MM), LAST(1, GG * MM), LAST(2, NN * GG), o.a, o.b), SMOE_EDOM);
        REFUSED(smoe_hyper_weights_vjp(MM, GG, NN, LAST(0, GG * MM), LAST(1, NN * GG), LAST(2, GG), zeros(), o.a, o.b),
                SMOE_EDOM);
        if (bad == 2) continue;
        REFUSED(smoe_jitter(NN, LAST(0, NN), LAST(1, NN), o.a), SMOE_EDOM);
        REFUSED(smoe_gate_frozen_token(DD, NN, KK, LAST(0, DD), LAST(1, NN * DD), o.a, o.index, o.b, o.c, o.e),
                SMOE_EDOM);
#undef LAST
    }
    REFUSED(smoe_hyper_weights_vjp(MM, GG, NN, zeros(), zeros(), zeros(), lone(NN, NAN), o.a, o.b), SMOE_EDOM);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gate_noisy");
    TCase *t = tcase_create("G.5 to G.11, G.17");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, jitter_by_hand);
    tcase_add_test(t, noisy_by_hand);
    tcase_add_test(t, sigmoid_by_hand);
    tcase_add_test(t, frozen_by_hand);
    tcase_add_test(t, schedule_by_hand);
    tcase_add_test(t, gshard_by_hand);
    tcase_add_test(t, gshard_policies_by_hand);
    tcase_add_test(t, hyper_by_hand);
    tcase_add_test(t, entropy_by_hand);
    tcase_add_test(t, gradient_of_jitter);
    tcase_add_test(t, gradient_of_noisy);
    tcase_add_loop_test(t, gradient_of_sigmoid, 0, 2);
    tcase_add_test(t, gradient_of_frozen);
    tcase_add_loop_test(t, gradient_of_gshard, 0, 2);
    tcase_add_test(t, gradient_of_hyper);
    tcase_add_test(t, jitter_is_the_linear_gate_of_another_token);
    tcase_add_test(t, no_noise_is_the_plain_gate);
    tcase_add_test(t, size_of_the_noise);
    tcase_add_test(t, sigmoid_weights);
    tcase_add_test(t, sigmoid_extremes);
    tcase_add_test(t, frozen_gate_is_linear_and_nested);
    tcase_add_test(t, schedule_is_the_nearest_number);
    tcase_add_test(t, gshard_keeps_its_promises);
    tcase_add_test(t, gshard_extremes);
    tcase_add_test(t, hyper_gate_is_homogeneous);
    tcase_add_test(t, entropy_is_an_entropy);
    tcase_add_test(t, sizes_that_make_no_sense);
    tcase_add_test(t, choices_that_make_no_sense);
    tcase_add_test(t, values_that_are_refused);
    tcase_add_test(t, a_late_value_is_refused_at_once);
    tcase_add_test(t, overflow_is_reported);
    tcase_add_loop_test(t, overflow_of_the_last_number, 0, 2);
    tcase_add_test(t, no_tokens_and_no_numbers);
    tcase_add_loop_test(t, the_last_number_is_refused, 0, 2);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
