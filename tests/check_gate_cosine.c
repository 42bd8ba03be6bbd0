/* Chapter G: cosine gates, StableMoE, DeepSeek-V3 (spec/02-gate.md, G.12 to G.16): hand-computed values, gradients by
 * two methods, properties, every error path. */
#include <check.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "gate.h"
#include "lone.h"
#include "slopes.h"

/* Within `ulps` units of the last place of `want`; false for NaN. */
static bool near(double got, double want, double ulps) { return fabs(got - want) <= ulps * 0x1p-52 * fabs(want); }

#define OK(call) ck_assert_int_eq(call, SMOE_OK)
#define SAME(got, want, n, what)                                                                                       \
    for (size_t same_k = 0; same_k < (n); same_k++)                                                                    \
    ck_assert_msg((got)[same_k] == (want)[same_k], "%s[%zu] is %a, expected %a", what, same_k, (got)[same_k],          \
                  (want)[same_k])
#define NEAR(got, want, n, ulps, what)                                                                                 \
    for (size_t near_k = 0; near_k < (n); near_k++)                                                                    \
    ck_assert_msg(near((got)[near_k], (want)[near_k], ulps), "%s[%zu] is %.17g, by hand it is %.17g", what, near_k,    \
                  (got)[near_k], (want)[near_k])

static const double LN2 = 0x1.62e42fefa39efp-1, LN3 = 0x1.193ea7aad030bp+0;
static const double bad[] = {INFINITY, -INFINITY, NAN};

enum { MANY = 256 };

/* An array that no function may have written. */
static void poison(size_t n, double *x)
{
    for (size_t k = 0; k < n; k++) x[k] = 77;
}

static bool untouched(size_t n, const double *x)
{
    for (size_t k = 0; k < n; k++)
        if (x[k] != 77) return false;
    return true;
}

/* Room for one run of XMoE, and for one of the others. */
typedef struct {
    smoe_xmoe_in in;
    smoe_xmoe_out out;
    size_t index[MANY];
    double weight[MANY], margin[MANY], s[MANY], z[MANY], q[MANY], p[MANY], zn[MANY], u[MANY], en[MANY], v[MANY];
    double dx[MANY], dw[MANY], de[MANY], dtau, work[4 * MANY];
} xmoe;

static smoe_xmoe_grad xmoe_grad(xmoe *m) { return (smoe_xmoe_grad){m->dx, m->dw, m->de, &m->dtau}; }

static void xmoe_open(xmoe *m)
{
    m->out = (smoe_xmoe_out){m->index, m->weight, m->margin, m->s, m->z, m->q, m->p, {m->zn, m->u, m->en, m->v}};
}

/* --- hand-computed values --- */

/* W = 1, x = (3,4), e_0 = (2,0), e_1 = (0,1/2), tau = 1/(5 ln 2): s = (3/5, 4/5), s/tau = (3 ln 2, 4 ln 2), so the
 * softmax is (8, 16)/24.  With dweight = 1 and L = 10/9 ln 2:  dq = (-2/9, 2/9), ds = dq 5 ln 2 = (-L, L),
 * dtau = -L ln 2, du = L (-1, 1), <u, du> = L/5, dz = L (-1 - 3/25, 1 - 4/25)/5 = L/125 (-28, 21).
 * de_0 = -L (0, 4/5)/2,  de_1 = L (3/5, 0)/(1/2). */
static const double xmoe_x[] = {3, 4}, xmoe_w[] = {1, 0, 0, 1}, xmoe_e[] = {2, 0, 0, 0.5};

/* evidence hand: G.12 */
START_TEST(xmoe_by_hand)
{
    static xmoe m;
    m.in = (smoe_xmoe_in){
        SMOE_XMOE_SOFTMAX, SMOE_COSINE_NORMALISED, 1, 2, 2, 2, 1, 1, 1 / (5 * LN2), xmoe_x, xmoe_w, xmoe_e};
    xmoe_open(&m);
    OK(smoe_gate_xmoe(&m.in, &m.out));
    NEAR(m.s, ((double[]){0.6, 0.8}), 2, 2, "G.12 s");
    ck_assert_uint_eq(m.index[0], 1);
    ck_assert_msg(near(m.weight[0], 2.0 / 3, 8), "G.12 weight is %.17g, by hand it is 2/3", m.weight[0]);
    ck_assert_msg(near(m.margin[0], 0.2, 8), "G.12 margin is %.17g, by hand it is 1/5", m.margin[0]);
    const smoe_xmoe_grad g = xmoe_grad(&m);
    OK(smoe_gate_xmoe_vjp(&m.in, &m.out, (double[]){1}, &g, m.work));
    const double L = 10 * LN2 / 9;
    NEAR(m.dx, ((double[]){-28 * L / 125, 21 * L / 125}), 2, 32, "G.12 dx");
    NEAR(m.dw, ((double[]){-84 * L / 125, -112 * L / 125, 63 * L / 125, 84 * L / 125}), 4, 32, "G.12 dW = dz x'");
    NEAR(m.de, ((double[]){0, -2 * L / 5, 6 * L / 5, 0}), 4, 32, "G.12 de");
    ck_assert_msg(near(m.dtau, -L * LN2, 32), "G.12 dtau is %.17g, by hand it is %.17g", m.dtau, -L * LN2);
}
END_TEST

/* The same with the sigmoid: 16/17, slope 16/289; ds_1 = 5 ln 2 16/289 = M, dtau = -4 ln 2 M; du = M (0,1),
 * <u, du> = 4/5 M, dz = M (-12/25, 9/25)/5.  Raw: s = (3, 4), weight sigmoid(20 ln 2) = 1/(1 + 2^-20). */
/* evidence hand: G.12 */
START_TEST(xmoe_forms_by_hand)
{
    static xmoe m;
    m.in = (smoe_xmoe_in){
        SMOE_XMOE_SIGMOID, SMOE_COSINE_NORMALISED, 1, 2, 2, 2, 1, 1, 1 / (5 * LN2), xmoe_x, xmoe_w, xmoe_e};
    xmoe_open(&m);
    const smoe_xmoe_grad g = xmoe_grad(&m);
    const double M = 5 * LN2 * 16 / 289;
    OK(smoe_gate_xmoe(&m.in, &m.out));
    OK(smoe_gate_xmoe_vjp(&m.in, &m.out, (double[]){1}, &g, m.work));
    ck_assert_msg(near(m.weight[0], 16.0 / 17, 4), "G.12 sigmoid: weight %.17g, by hand 16/17", m.weight[0]);
    NEAR(m.dx, ((double[]){-12 * M / 125, 9 * M / 125}), 2, 32, "G.12 sigmoid dx");
    NEAR(m.de, ((double[]){0, 0, 6 * M / 5, 0}), 4, 32, "G.12 sigmoid de");
    ck_assert_msg(near(m.dtau, -4 * LN2 * M, 32), "G.12 sigmoid dtau is %.17g", m.dtau);

    m.in.input = SMOE_COSINE_RAW;
    m.in.norm = 0.5;
    OK(smoe_gate_xmoe(&m.in, &m.out));
    SAME(m.s, ((double[]){1.5, 2}), 2, "G.12 raw, norm 1/2: s");
    ck_assert_msg(near(m.weight[0], 1 / (1 + 0x1p-10), 4), "G.12 raw: weight %.17g", m.weight[0]);
    OK(smoe_gate_xmoe_vjp(&m.in, &m.out, (double[]){1}, &g, m.work));
    const double slope = 5 * LN2 * 0.5 / ((1 + 0x1p-10) * (1 + 0x1p10)); /* dx = dz = slope v_1, not divided by |z| */
    NEAR(m.dx, ((double[]){0, slope}), 2, 32, "G.12 raw dx");
    NEAR(m.de, ((double[]){0, 0, 6 * slope, 0}), 4, 32, "G.12 raw de = slope (z - <z,v> v)/|e|");
}
END_TEST

/* |x| = |beta| = 3, tau = 1: u = (2,2,1)/4, v = (1,2,2)/4, r = 8/16.  dr = 1: <u, v> = 1/2 on both sides,
 * dx = (v - (2,2,1)/6)/4, dbeta = (u - (1,2,2)/6)/4. */
/* evidence hand: G.13 */
START_TEST(perturbed_by_hand)
{
    const double x[] = {2, 2, 1}, beta[] = {1, 2, 2}, one = 1;
    double xn[1], u[3], bn[1], v[3], r[1], dx[3], dbeta[3], work[6];
    const smoe_perturbed_kept kept = {xn, u, bn, v};
    OK(smoe_gate_perturbed(1, 3, 1, 1, 1, x, beta, &kept, r));
    ck_assert_msg(r[0] == 0.5, "G.13 r is %a, by hand it is 1/2", r[0]);
    OK(smoe_gate_perturbed_vjp(1, 3, 1, 1, 1, x, beta, &kept, &one, dx, dbeta, work));
    NEAR(dx, ((double[]){-1.0 / 48, 1.0 / 24, 1.0 / 12}), 3, 8, "G.13 dx");
    NEAR(dbeta, ((double[]){1.0 / 12, 1.0 / 24, -1.0 / 48}), 3, 8, "G.13 dbeta");
    OK(smoe_gate_perturbed(1, 3, 1, 3, 1, x, beta, &kept, r)); /* tau1 is beta's: 8/(4 * 6) */
    ck_assert_msg(near(r[0], 1.0 / 3, 4), "G.13 r is %.17g with tau1 = 3, by hand it is 1/3", r[0]);
}
END_TEST

/* s = (ln 3, -ln 3): stage 1 takes expert 0 with 3/4, stage 2, told (0, 1), expert 1 with 1/4.  Slope 3/16 at both. */
/* evidence hand: G.14 */
START_TEST(stable_by_hand)
{
    const double x[] = {1, 2}, e[] = {LN3, 0, 0, -LN3 / 2}, shat[] = {0, 1}, one = 1;
    double s[2], weight, margin, dx[2], de[4], work[2];
    size_t index;
    OK(smoe_gate_stable(SMOE_STABLE_LEARNING, 1, 2, 2, x, e, shat, s, &index, &weight, &margin));
    ck_assert_msg(index == 0 && near(weight, 0.75, 4) && margin == 2 * LN3, "G.14 stage 1: %zu, %.17g", index, weight);
    OK(smoe_gate_stable_vjp(1, 2, 2, x, e, s, &index, &one, dx, de, work));
    NEAR(de, ((double[]){3.0 / 16, 3.0 / 8, 0, 0}), 4, 8, "G.14 stage 1 de");
    NEAR(dx, ((double[]){3 * LN3 / 16, 0}), 2, 8, "G.14 stage 1 dx");
    OK(smoe_gate_stable(SMOE_STABLE_FROZEN, 1, 2, 2, x, e, shat, s, &index, &weight, &margin));
    ck_assert_msg(index == 1 && near(weight, 0.25, 4) && margin == 1, "G.14 stage 2: %zu, %.17g", index, weight);
    OK(smoe_gate_stable_vjp(1, 2, 2, x, e, s, &index, &one, dx, de, work));
    NEAR(de, ((double[]){0, 0, 3.0 / 16, 3.0 / 8}), 4, 8, "G.14 stage 2 de");
    NEAR(dx, ((double[]){0, -3 * LN3 / 32}), 2, 8, "G.14 stage 2 dx");
}
END_TEST

/* shat = (ln 2, 0), (0, 0), (ln 2, 0); the targets' probabilities are 2/3, 1/2, 1/3, so the loss is ln(3/2 * 2 * 3). */
/* evidence hand: G.15 */
START_TEST(distill_by_hand)
{
    const size_t token[] = {0, 1, 0}, target[] = {0, 0, 1};
    const double table[] = {LN2, 0}, ehat[] = {1, 0};
    const smoe_stable_distill_in in = {3, 2, 1, 2, token, target, table, ehat};
    double h[3], shat[6], lse[3], loss, dtable[2], dehat[2], work[9];
    OK(smoe_stable_distill(&in, h, shat, lse, &loss));
    SAME(shat, ((double[]){LN2, 0, 0, 0, LN2, 0}), 6, "G.15 shat");
    ck_assert_msg(near(loss, 2 * LN3, 8), "G.15 loss is %.17g, by hand it is ln 9", loss);
    OK(smoe_stable_distill_vjp(&in, h, shat, lse, 1, dtable, dehat, work));
    NEAR(dehat, ((double[]){LN2 / 3, -LN2 / 3}), 2, 16, "G.15 dehat");
    NEAR(dtable, ((double[]){1.0 / 3, -0.5}), 2, 16, "G.15 dtable");
    OK(smoe_stable_distill_mean(&in, h, shat, lse, &loss));
    ck_assert_msg(near(loss, 2 * LN3 / 3, 8), "G.15 mean is %.17g, by hand it is ln 9 / 3", loss);
    OK(smoe_stable_distill_mean_vjp(&in, h, shat, lse, 3, dtable, dehat, work)); /* 3/T = 1 */
    NEAR(dtable, ((double[]){1.0 / 3, -0.5}), 2, 16, "G.15 dtable of the mean");
}
END_TEST

typedef struct {
    smoe_deepseek_in in;
    smoe_deepseek_out out;
    size_t index[MANY], group[16];
    double weight[MANY], margin[MANY], z[MANY], s[MANY], dx[MANY], de[MANY], work[2 * MANY];
} deepseek;

static void deepseek_open(deepseek *m) { m->out = (smoe_deepseek_out){m->index, m->weight, m->margin, m->z, m->s}; }

/* s = (3/4, 1/4, 1/2, 1/2), bias 1/8 on expert 2: experts 0 and 2, s = 3/4 and 1/2, weights 5/2 (3/5, 2/5); the bias in
 * the weights would make them 5/2 (6/11, 5/11).  dweight = (1, 0): dv = (5/2, 0), <v, dv> = 3/2, ds = (1, -3/2)/(5/4),
 * dz = (3/16 4/5, -1/4 6/5). */
/* evidence hand: G.16 */
START_TEST(deepseek_by_hand)
{
    static deepseek m;
    const double x = 1, e[] = {LN3, -LN3, 0, 0}, bias[] = {0, 0, 0.125, 0};
    m.in = (smoe_deepseek_in){SMOE_DEEPSEEK_RENORM, 1, 1, 4, 2, 1, 1, 2.5, &x, e, bias};
    deepseek_open(&m);
    OK(smoe_gate_deepseek(&m.in, &m.out, m.work, m.group));
    ck_assert_msg(m.index[0] == 0 && m.index[1] == 2, "G.16: experts %zu and %zu", m.index[0], m.index[1]);
    NEAR(m.weight, ((double[]){1.5, 1}), 2, 8, "G.16 weight");
    ck_assert_msg(near(m.margin[0], 0.125, 8), "G.16 margin is %.17g, by hand it is 1/8", m.margin[0]);
    OK(smoe_gate_deepseek_vjp(&m.in, &m.out, (double[]){1, 0}, m.dx, m.de, m.work));
    NEAR(m.de, ((double[]){0.15, 0, -0.3, 0}), 4, 16, "G.16 de");
    ck_assert_msg(near(m.dx[0], 0.15 * LN3, 16), "G.16 dx is %.17g", m.dx[0]);

    m.in.weights = SMOE_DEEPSEEK_PLAIN; /* weights s 5/2; dz_0 = 5/2 3/16 */
    OK(smoe_gate_deepseek(&m.in, &m.out, m.work, m.group));
    NEAR(m.weight, ((double[]){1.875, 1.25}), 2, 8, "G.16 plain weight");
    OK(smoe_gate_deepseek_vjp(&m.in, &m.out, (double[]){1, 0}, m.dx, m.de, m.work));
    NEAR(m.de, ((double[]){15.0 / 32, 0, 0, 0}), 4, 16, "G.16 plain de");

    m.in.weights = SMOE_DEEPSEEK_RENORM; /* two groups, scores 1 and 9/8; by the maximum it would be group 0 */
    m.in.groups = 2;
    OK(smoe_gate_deepseek(&m.in, &m.out, m.work, m.group));
    ck_assert_msg(m.index[0] == 2 && m.index[1] == 3, "G.16 groups: experts %zu, %zu", m.index[0], m.index[1]);
    SAME(m.weight, ((double[]){1.25, 1.25}), 2, "G.16 groups weight");
}
END_TEST

/* --- gradients --- */

enum { GT = 3, GD = 5, GC = 4, GN = 4, GK = 2, GV = 2 };
enum { FORMS = 6 }; /* of XMoE: gate x input, and a norm */

typedef struct {
    int form;
    const double *dweight;
    const size_t *index; /* held by the exact forward */
} subject;

static smoe_xmoe_in xmoe_of(int form, const double *q)
{
    return (smoe_xmoe_in){form % 2 ? SMOE_XMOE_SIGMOID : SMOE_XMOE_SOFTMAX,
                          form & 2 ? SMOE_COSINE_RAW : SMOE_COSINE_NORMALISED,
                          GT,
                          GD,
                          GC,
                          GN,
                          GK,
                          form & 4 ? 1.5 : 1,
                          q[GT * GD + GC * GD + GN * GC],
                          q,
                          q + GT * GD,
                          q + GT * GD + GC * GD};
}

enum { XMOE_SIZE = GT * GD + GC * GD + GN * GC + 1 };

static long double xmoe_score(int form, size_t t, size_t i, const long double *q)
{
    const long double *x = q + t * GD, *w = q + GT * GD, *e = w + GC * GD + i * GC;
    long double product = 0, zz = 0, ee = 0;
    for (size_t k = 0; k < GC; k++) {
        long double z = 0;
        for (size_t l = 0; l < GD; l++) z += w[k * GD + l] * x[l];
        product += z * e[k], zz += z * z, ee += e[k] * e[k];
    }
    return (form & 4 ? 1.5L : 1) * product / (form & 2 ? 1 : sqrtl(zz)) / sqrtl(ee);
}

static long double xmoe_exact(const void *test, const long double *q)
{
    const subject *m = test;
    const long double tau = q[XMOE_SIZE - 1];
    long double phi = 0;
    for (size_t t = 0; t < GT; t++) {
        long double s[GN], all = 0;
        for (size_t i = 0; i < GN; i++) {
            s[i] = xmoe_score(m->form, t, i, q) / tau;
            all += expl(s[i]);
        }
        for (size_t j = 0; j < GK; j++) {
            const long double v = s[m->index[t * GK + j]];
            phi += m->dweight[t * GK + j] * (m->form % 2 ? 1 / (1 + expl(-v)) : expl(v) / all);
        }
    }
    return phi;
}

static double xmoe_library(const void *test, const double *q)
{
    const subject *m = test;
    static xmoe r;
    r.in = xmoe_of(m->form, q);
    xmoe_open(&r);
    OK(smoe_gate_xmoe(&r.in, &r.out));
    long double phi = 0;
    for (size_t a = 0; a < GT * GK; a++) phi += (long double)m->dweight[a] * r.weight[a];
    return (double)phi;
}

/* Both checks, block by block, and their negative control: 1/1000 of an element too much in each block. */
static void check_slopes(const char *what, size_t n, const double *q, double *g, slopes_exact exact,
                         slopes_library library, const subject *m, size_t blocks, const size_t *at)
{
    const double order = slopes_order(n, q, g, exact, m, 3);
    ck_assert_msg(order > 1.8, "%s: Taylor remainder falls with order %.3f, not 2", what, order);
    for (size_t b = 0; b < blocks; b++) {
        const double off = slopes_adjoint(n, q, g, library, m, at[b], at[b + 1] - at[b], 5);
        ck_assert_msg(off <= 1e-8, "%s, block %zu: the adjoint identity is off by %.1e", what, b, off);
        const size_t k = at[b] + (at[b + 1] - at[b]) / 2;
        g[k] += 0.001;
        const double wrong = slopes_order(n, q, g, exact, m, 3),
                     gap = slopes_adjoint(n, q, g, library, m, at[b], at[b + 1] - at[b], 5);
        ck_assert_msg(wrong < 1.5 && gap > 1e-6, "%s, block %zu: a wrong gradient passes (%.2f, %.1e)", what, b, wrong,
                      gap);
        g[k] -= 0.001;
    }
}

/* evidence gradient: G.12 */
START_TEST(xmoe_gradient)
{
    static xmoe r;
    double q[XMOE_SIZE], g[XMOE_SIZE], dweight[GT * GK];
    const size_t at[] = {0, GT * GD, GT * GD + GC * GD, XMOE_SIZE - 1, XMOE_SIZE};
    uint64_t seed = 41;
    slopes_fill(&seed, 1.0, XMOE_SIZE - 1, q);
    slopes_fill(&seed, 1.0, GT * GK, dweight);
    q[XMOE_SIZE - 1] = 0.4;
    r.in = xmoe_of(_i, q);
    xmoe_open(&r);
    OK(smoe_gate_xmoe(&r.in, &r.out));
    const smoe_xmoe_grad grad = {g, g + at[1], g + at[2], g + at[3]};
    OK(smoe_gate_xmoe_vjp(&r.in, &r.out, dweight, &grad, r.work));
    size_t index[GT * GK];
    memcpy(index, r.index, sizeof index);
    const subject held = {.form = _i, .dweight = dweight, .index = index};
    check_slopes("G.12", XMOE_SIZE, q, g, xmoe_exact, xmoe_library, &held, 4, at);
}
END_TEST

enum { PERTURBED_SIZE = GT * GD + GN * GD };
static const double taus[][2] = {{0.125, 0.125}, {0, 0}, {0.5, 0.25}};

static long double perturbed_exact(const void *test, const long double *q)
{
    const subject *m = test;
    long double phi = 0;
    for (size_t t = 0; t < GT; t++)
        for (size_t i = 0; i < GN; i++) {
            const long double *x = q + t * GD, *b = q + GT * GD + i * GD;
            long double product = 0, xx = 0, bb = 0;
            for (size_t k = 0; k < GD; k++) product += x[k] * b[k], xx += x[k] * x[k], bb += b[k] * b[k];
            phi += m->dweight[t * GN + i] * product / (sqrtl(xx) + taus[m->form][1]) / (sqrtl(bb) + taus[m->form][0]);
        }
    return phi;
}

static double perturbed_library(const void *test, const double *q)
{
    const subject *m = test;
    double xn[GT], u[GT * GD], bn[GN], v[GN * GD], r[GT * GN];
    const smoe_perturbed_kept kept = {xn, u, bn, v};
    OK(smoe_gate_perturbed(GT, GD, GN, taus[m->form][0], taus[m->form][1], q, q + GT * GD, &kept, r));
    long double phi = 0;
    for (size_t k = 0; k < GT * GN; k++) phi += (long double)m->dweight[k] * r[k];
    return (double)phi;
}

/* evidence gradient: G.13 */
START_TEST(perturbed_gradient)
{
    double q[PERTURBED_SIZE], g[PERTURBED_SIZE], dr[GT * GN], xn[GT], u[GT * GD], bn[GN], v[GN * GD], r[GT * GN],
        work[(GT + GN) * GD];
    const smoe_perturbed_kept kept = {xn, u, bn, v};
    const size_t at[] = {0, GT * GD, PERTURBED_SIZE};
    const double tau1 = taus[_i][0], tau2 = taus[_i][1];
    uint64_t seed = 43;
    slopes_fill(&seed, 1.0, PERTURBED_SIZE, q);
    slopes_fill(&seed, 1.0, GT * GN, dr);
    OK(smoe_gate_perturbed(GT, GD, GN, tau1, tau2, q, q + GT * GD, &kept, r));
    OK(smoe_gate_perturbed_vjp(GT, GD, GN, tau1, tau2, q, q + GT * GD, &kept, dr, g, g + GT * GD, work));
    const subject m = {.form = _i, .dweight = dr};
    check_slopes("G.13", PERTURBED_SIZE, q, g, perturbed_exact, perturbed_library, &m, 2, at);
}
END_TEST

/* Without damping a token of zeros has no direction: one of three of two features, but not two zeros of two tokens. */
START_TEST(perturbed_zero_token)
{
    const double none[] = {1, 2, 0, 0, 3, 4}, some[] = {1, 0, 0, 0, 0, 5}, beta[] = {3, 4, 12};
    double xn[3], u[6], bn[1], v[3], r[3] = {-1, -1, -1};
    const smoe_perturbed_kept kept = {xn, u, bn, v};
    ck_assert_int_eq(smoe_gate_perturbed(3, 2, 1, 1, 0, none, beta, &kept, r), SMOE_EDOM);
    SAME(r, ((double[]){-1, -1, -1}), 3, "G.13: refused");
    OK(smoe_gate_perturbed(2, 3, 1, 0, 0, some, beta, &kept, r));
    SAME(r, ((double[]){3.0 / 13, 12.0 / 13}), 2, "G.13: the cosines of the axes");
}
END_TEST

/* At x = 0 the damped direction is x / tau to first order: dx = dr v / tau, and r moves with it. */
/* evidence gradient: G.13 */
START_TEST(perturbed_gradient_at_zero)
{
    const double x[] = {0, 0}, beta[] = {3, 4}, moved[] = {0x1p-30, 0};
    double xn[1], u[2], bn[1], v[2], r[1], dx[2], dbeta[2], work[4], one = 1;
    const smoe_perturbed_kept kept = {xn, u, bn, v};
    OK(smoe_gate_perturbed(1, 2, 1, 1, 0.25, x, beta, &kept, r));
    ck_assert_msg(r[0] == 0, "G.13: r of a zero token is %a", r[0]);
    OK(smoe_gate_perturbed_vjp(1, 2, 1, 1, 0.25, x, beta, &kept, &one, dx, dbeta, work));
    NEAR(dx, ((double[]){2, 8.0 / 3}), 2, 4, "G.13 dx at 0"); /* v / (1/4) = (3/6, 4/6) 4 */
    SAME(dbeta, ((double[]){0, 0}), 2, "G.13 dbeta at 0");
    OK(smoe_gate_perturbed(1, 2, 1, 1, 0.25, moved, beta, &kept, r));
    ck_assert_msg(near(r[0], 0x1p-29, 0x1p26), "G.13: r moves by %a, by its slope 2 it is 2^-29", r[0]);
}
END_TEST

enum { STABLE_SIZE = GT * GD + GN * GD };

static long double stable_exact(const void *test, const long double *q)
{
    const subject *m = test;
    long double phi = 0;
    for (size_t t = 0; t < GT; t++) {
        long double s = 0;
        for (size_t k = 0; k < GD; k++) s += q[t * GD + k] * q[GT * GD + m->index[t] * GD + k];
        phi += m->dweight[t] / (1 + expl(-s));
    }
    return phi;
}

static const double stable_shat[GT * GN] = {0, 1, 2, 3, 5, 1, 0, 2, -1, 2, -3, 0};

static double stable_library(const void *test, const double *q)
{
    const subject *m = test;
    double s[GT * GN], weight[GT], margin[GT];
    size_t index[GT];
    OK(smoe_gate_stable(m->form ? SMOE_STABLE_FROZEN : SMOE_STABLE_LEARNING, GT, GD, GN, q, q + GT * GD, stable_shat, s,
                        index, weight, margin));
    long double phi = 0;
    for (size_t t = 0; t < GT; t++) phi += (long double)m->dweight[t] * weight[t];
    return (double)phi;
}

/* evidence gradient: G.14 */
START_TEST(stable_gradient)
{
    double q[STABLE_SIZE], g[STABLE_SIZE], s[GT * GN], weight[GT], margin[GT], work[GT * GN];
    const double dweight[GT] = {1, -0.5, 2};
    size_t index[GT];
    const size_t at[] = {0, GT * GD, STABLE_SIZE};
    uint64_t seed = 47;
    slopes_fill(&seed, 1.0, STABLE_SIZE, q);
    OK(smoe_gate_stable(_i ? SMOE_STABLE_FROZEN : SMOE_STABLE_LEARNING, GT, GD, GN, q, q + GT * GD, stable_shat, s,
                        index, weight, margin));
    OK(smoe_gate_stable_vjp(GT, GD, GN, q, q + GT * GD, s, index, dweight, g, g + GT * GD, work));
    const subject m = {.form = _i, .dweight = dweight, .index = index};
    check_slopes("G.14", STABLE_SIZE, q, g, stable_exact, stable_library, &m, 2, at);
}
END_TEST

enum { DISTILL_SIZE = GV * GC + GN * GC };
static const size_t distill_token[GT] = {1, 0, 1}, distill_target[GT] = {3, 0, 1};

static long double distill_exact(const void *test, const long double *q)
{
    const subject *m = test;
    long double loss = 0;
    for (size_t t = 0; t < GT; t++) {
        long double all = 0, mine = 0;
        for (size_t i = 0; i < GN; i++) {
            long double s = 0;
            for (size_t k = 0; k < GC; k++) s += q[distill_token[t] * GC + k] * q[GV * GC + i * GC + k];
            all += expl(s);
            if (i == distill_target[t]) mine = s;
        }
        loss += logl(all) - mine;
    }
    return m->dweight[0] * (m->form ? loss / GT : loss);
}

static smoe_stable_distill_in distill_of(const double *q)
{
    return (smoe_stable_distill_in){GT, GV, GC, GN, distill_token, distill_target, q, q + GV * GC};
}

static double distill_library(const void *test, const double *q)
{
    const subject *m = test;
    const smoe_stable_distill_in in = distill_of(q);
    double h[GT * GC], shat[GT * GN], lse[GT], loss;
    OK((m->form ? smoe_stable_distill_mean : smoe_stable_distill)(&in, h, shat, lse, &loss));
    return m->dweight[0] * loss;
}

/* evidence gradient: G.15 */
START_TEST(distill_gradient)
{
    double q[DISTILL_SIZE], g[DISTILL_SIZE], h[GT * GC], shat[GT * GN], lse[GT], loss, work[GT * (GN + GC)];
    const size_t at[] = {0, GV * GC, DISTILL_SIZE};
    const double dloss = -1.25;
    uint64_t seed = 53;
    slopes_fill(&seed, 1.0, DISTILL_SIZE, q);
    const smoe_stable_distill_in in = distill_of(q);
    OK((_i ? smoe_stable_distill_mean : smoe_stable_distill)(&in, h, shat, lse, &loss));
    OK((_i ? smoe_stable_distill_mean_vjp : smoe_stable_distill_vjp)(&in, h, shat, lse, dloss, g, g + GV * GC, work));
    const subject m = {.form = _i, .dweight = &dloss};
    check_slopes("G.15", DISTILL_SIZE, q, g, distill_exact, distill_library, &m, 2, at);
}
END_TEST

enum { DEEPSEEK_SIZE = GT * GD + GN * GD };
static const double deepseek_bias[GN] = {0.25, -0.125, 0, 0.5};

static smoe_deepseek_in deepseek_of(int form, const double *q)
{
    return (smoe_deepseek_in){form % 2 ? SMOE_DEEPSEEK_PLAIN : SMOE_DEEPSEEK_RENORM,
                              GT,
                              GD,
                              GN,
                              GK,
                              form & 2 ? 2 : 1,
                              1,
                              2.5,
                              q,
                              q + GT * GD,
                              deepseek_bias};
}

static long double deepseek_exact(const void *test, const long double *q)
{
    const subject *m = test;
    long double phi = 0;
    for (size_t t = 0; t < GT; t++) {
        long double s[GK], S = 0;
        for (size_t j = 0; j < GK; j++) {
            long double z = 0;
            for (size_t k = 0; k < GD; k++) z += q[t * GD + k] * q[GT * GD + m->index[t * GK + j] * GD + k];
            s[j] = 1 / (1 + expl(-z));
            S += s[j];
        }
        for (size_t j = 0; j < GK; j++) phi += m->dweight[t * GK + j] * s[j] * 2.5L / (m->form % 2 ? 1 : S);
    }
    return phi;
}

static double deepseek_library(const void *test, const double *q)
{
    const subject *m = test;
    static deepseek r;
    r.in = deepseek_of(m->form, q);
    deepseek_open(&r);
    OK(smoe_gate_deepseek(&r.in, &r.out, r.work, r.group));
    long double phi = 0;
    for (size_t a = 0; a < GT * GK; a++) phi += (long double)m->dweight[a] * r.weight[a];
    return (double)phi;
}

/* evidence gradient: G.16 */
START_TEST(deepseek_gradient)
{
    static deepseek r;
    double q[DEEPSEEK_SIZE], g[DEEPSEEK_SIZE], dweight[GT * GK];
    size_t index[GT * GK];
    const size_t at[] = {0, GT * GD, DEEPSEEK_SIZE};
    uint64_t seed = 59;
    slopes_fill(&seed, 1.0, DEEPSEEK_SIZE, q);
    slopes_fill(&seed, 1.0, GT * GK, dweight);
    r.in = deepseek_of(_i, q);
    deepseek_open(&r);
    OK(smoe_gate_deepseek(&r.in, &r.out, r.work, r.group));
    OK(smoe_gate_deepseek_vjp(&r.in, &r.out, dweight, g, g + GT * GD, r.work));
    memcpy(index, r.index, sizeof index);
    const subject m = {.form = _i, .dweight = dweight, .index = index};
    check_slopes("G.16", DEEPSEEK_SIZE, q, g, deepseek_exact, deepseek_library, &m, 2, at);
}
END_TEST

/* --- properties --- */

enum { PT = 6, PD = 5, PC = 3, PN = 5, PK = 2 };

static void xmoe_run(xmoe *m, smoe_xmoe_gate gate, smoe_cosine_input input, const double *x, const double *w,
                     const double *e)
{
    m->in = (smoe_xmoe_in){gate, input, PT, PD, PC, PN, PK, 1, 0.25, x, w, e};
    xmoe_open(m);
    OK(smoe_gate_xmoe(&m->in, &m->out));
}

/* Powers of two on tokens, on embeddings and on W leave a cosine alone, bit for bit; on the tokens of the raw form they
 * are powers of two on the scores.  This is what UnnormalisedCosine gets wrong. */
/* evidence properties: G.12 */
START_TEST(a_cosine_does_not_see_lengths)
{
    static xmoe a, b;
    double x[PT * PD], w[PC * PD], e[PN * PC], y[PT * PD], f[PN * PC];
    uint64_t seed = 61;
    slopes_fill(&seed, 1.0, PT * PD, x), slopes_fill(&seed, 1.0, PC * PD, w), slopes_fill(&seed, 1.0, PN * PC, e);
    for (size_t k = 0; k < PT * PD; k++) y[k] = ldexp(x[k], (int)(k / PD) * 5 - 9);
    for (size_t k = 0; k < PN * PC; k++) f[k] = ldexp(e[k], 7 - (int)(k / PC) * 3);
    xmoe_run(&a, SMOE_XMOE_SOFTMAX, SMOE_COSINE_NORMALISED, x, w, e);
    xmoe_run(&b, SMOE_XMOE_SOFTMAX, SMOE_COSINE_NORMALISED, y, w, f);
    SAME(b.s, a.s, PT * PN, "G.12 s of stretched tokens and embeddings");
    SAME(b.weight, a.weight, PT * PK, "G.12 weight of stretched tokens and embeddings");
    for (size_t k = 0; k < PT * PN; k++) ck_assert_msg(fabs(a.s[k]) <= 1 + 0x1p-50, "G.12: a cosine of %.17g", a.s[k]);
    xmoe_run(&a, SMOE_XMOE_SOFTMAX, SMOE_COSINE_RAW, x, w, e);
    xmoe_run(&b, SMOE_XMOE_SOFTMAX, SMOE_COSINE_RAW, y, w, f);
    for (size_t k = 0; k < PT * PN; k++)
        ck_assert_msg(b.s[k] == ldexp(a.s[k], (int)(k / PN) * 5 - 9), "G.12 raw: s[%zu] does not follow the token", k);
}
END_TEST

/* The gradient is orthogonal to z (so to x when W is the identity) and to e; renaming experts renames; a batch is its
 * tokens; K = N softmax weights add up to 1; dweight = 1 on all of them gives gradient 0. */
/* evidence properties: G.12 */
START_TEST(xmoe_symmetries)
{
    static xmoe a, b;
    double x[PT * PC], w[PC * PC] = {1, 0, 0, 0, 1, 0, 0, 0, 1}, e[PN * PC], f[PN * PC], dweight[PT * PN];
    uint64_t seed = 67;
    slopes_fill(&seed, 1.0, PT * PC, x), slopes_fill(&seed, 1.0, PN * PC, e), slopes_fill(&seed, 1.0, PT * PN, dweight);
    a.in = (smoe_xmoe_in){SMOE_XMOE_SOFTMAX, SMOE_COSINE_NORMALISED, PT, PC, PC, PN, PK, 1, 0.25, x, w, e};
    xmoe_open(&a);
    OK(smoe_gate_xmoe(&a.in, &a.out));
    const smoe_xmoe_grad g = xmoe_grad(&a);
    OK(smoe_gate_xmoe_vjp(&a.in, &a.out, dweight, &g, a.work));
    for (size_t t = 0; t < PT; t++)
        ck_assert_msg(fabs(smoe_dot(PC, x + t * PC, a.dx + t * PC)) < 1e-14, "G.12: dx of token %zu is not orthogonal",
                      t);
    for (size_t i = 0; i < PN; i++)
        ck_assert_msg(fabs(smoe_dot(PC, e + i * PC, a.de + i * PC)) < 1e-14, "G.12: de of expert %zu is not orthogonal",
                      i);
    for (size_t k = 0; k < PN * PC; k++) f[k] = e[(PN - 1 - k / PC) * PC + k % PC];
    b.in = a.in, b.in.e = f;
    xmoe_open(&b);
    OK(smoe_gate_xmoe(&b.in, &b.out));
    for (size_t k = 0; k < PT * PK; k++) {
        ck_assert_msg(b.index[k] == PN - 1 - a.index[k], "G.12: renamed expert %zu", k);
        ck_assert_msg(near(b.weight[k], a.weight[k], 8), "G.12: weight %zu of a renamed expert", k);
    }
    for (size_t t = 0; t < PT; t++) {
        b.in = a.in, b.in.T = 1, b.in.x = x + t * PC;
        OK(smoe_gate_xmoe(&b.in, &b.out));
        SAME(b.weight, a.weight + t * PK, PK, "G.12: a token alone");
    }
    a.in.K = PN;
    OK(smoe_gate_xmoe(&a.in, &a.out));
    for (size_t t = 0; t < PT; t++)
        ck_assert_msg(near(smoe_sum(PN, a.weight + t * PN), 1, 8), "G.12: weights of token %zu", t);
    ck_assert_msg(isinf(a.margin[0]), "G.12: margin for K = N is %g", a.margin[0]);
    for (size_t k = 0; k < PT * PN; k++) dweight[k] = 1;
    OK(smoe_gate_xmoe_vjp(&a.in, &a.out, dweight, &g, a.work));
    for (size_t k = 0; k < PN * PC; k++)
        ck_assert_msg(fabs(a.de[k]) < 1e-14, "G.12: a constant has the gradient %g", a.de[k]);
    ck_assert_msg(fabs(a.dtau) < 1e-14, "G.12: a constant has dtau %g", a.dtau);
}
END_TEST

/* Weights of a sharp softmax go near 1 (DoubleSoftmaxWeights cannot); ties go to the lowest index; a zero token and a
 * zero embedding have scores 0 and no gradient; no tokens, no gradient. */
/* evidence properties: G.12 */
START_TEST(xmoe_corners)
{
    static xmoe m;
    const double w = 1, x[] = {5, 0}, e[] = {-2, 3, 0, 0.5};
    m.in = (smoe_xmoe_in){SMOE_XMOE_SOFTMAX, SMOE_COSINE_NORMALISED, 2, 1, 1, 4, 2, 1, 0.0625, x, &w, e};
    xmoe_open(&m);
    const smoe_xmoe_grad g = xmoe_grad(&m);
    OK(smoe_gate_xmoe(&m.in, &m.out));
    SAME(m.s, ((double[]){-1, 1, 0, 1, 0, 0, 0, 0}), 8, "G.12 with c = 1: s"); /* signs, and 0 */
    ck_assert_msg(m.index[0] == 1 && m.index[1] == 3 && m.index[2] == 0 && m.index[3] == 1, "G.12: ties");
    ck_assert_msg(m.weight[0] == m.weight[1] && m.weight[2] == 0.25, "G.12: weights of ties");
    ck_assert_msg(m.margin[0] == 1 && m.margin[1] == 0, "G.12: margins %g and %g", m.margin[0], m.margin[1]);
    OK(smoe_gate_xmoe_vjp(&m.in, &m.out, (double[]){1, 2, 3, 4}, &g, m.work));
    SAME(m.dx, ((double[]){0, 0}), 2, "G.12 with c = 1: dx"); /* a sign has no slope */
    SAME(m.de, ((double[]){0, 0, 0, 0}), 4, "G.12 with c = 1: de");
    m.in.e = (double[]){1, -1, -1, -1};
    OK(smoe_gate_xmoe(&m.in, &m.out));
    ck_assert_msg(m.weight[0] > 0.999, "G.12: a sure gate has the weight %.17g", m.weight[0]);
    m.in.T = 0;
    OK(smoe_gate_xmoe(&m.in, &m.out));
    OK(smoe_gate_xmoe_vjp(&m.in, &m.out, &w, &g, m.work));
    ck_assert_msg(m.de[0] == 0 && m.dw[0] == 0 && m.dtau == 0, "G.12: no tokens, but a gradient");
}
END_TEST

/* Two evaluations agree, inputs are as they were (MutatingEval), and without damping it is XMoE's cosine with W = 1. */
/* evidence properties: G.13 */
START_TEST(two_evaluations_agree)
{
    static xmoe m;
    double x[PT * PC], beta[PN * PC], before[PN * PC], w[PC * PC] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    double xn[PT], u[PT * PC], bn[PN], v[PN * PC], r[2][PT * PN];
    const smoe_perturbed_kept kept = {xn, u, bn, v};
    uint64_t seed = 71;
    slopes_fill(&seed, 4.0, PT * PC, x), slopes_fill(&seed, 0.25, PN * PC, beta);
    memcpy(before, beta, sizeof before);
    for (int call = 0; call < 2; call++) OK(smoe_gate_perturbed(PT, PC, PN, 0.1, 0.1, x, beta, &kept, r[call]));
    ck_assert_msg(memcmp(r[0], r[1], sizeof r[0]) == 0, "G.13: two evaluations differ");
    ck_assert_msg(memcmp(before, beta, sizeof beta) == 0, "G.13: an evaluation changed the embeddings");
    for (size_t k = 0; k < PT * PN; k++) ck_assert_msg(fabs(r[0][k]) < 1, "G.13: r = %.17g", r[0][k]);
    OK(smoe_gate_perturbed(PT, PC, PN, 0, 0, x, beta, &kept, r[0]));
    m.in = (smoe_xmoe_in){SMOE_XMOE_SOFTMAX, SMOE_COSINE_NORMALISED, PT, PC, PC, PN, 1, 1, 1, x, w, beta};
    xmoe_open(&m);
    OK(smoe_gate_xmoe(&m.in, &m.out));
    SAME(r[0], m.s, PT * PN, "G.13 undamped against G.12");
}
END_TEST

/* Scaling a vector and its tau by a power of two changes nothing; longer vectors are damped less; a batch is its
 * tokens; along x the gradient of one logit is what damping leaves: <dx, x> = r tau2/(|x| + tau2). */
/* evidence properties: G.13 */
START_TEST(damping)
{
    double x[PT * PC], y[PT * PC], beta[PN * PC], xn[PT], u[PT * PC], bn[PN], v[PN * PC], r[PT * PN], s[PT * PN];
    double dr[PT * PN] = {0}, dx[PT * PC], dbeta[PN * PC], work[(PT + PN) * PC];
    const smoe_perturbed_kept kept = {xn, u, bn, v};
    uint64_t seed = 73;
    slopes_fill(&seed, 1.0, PT * PC, x), slopes_fill(&seed, 1.0, PN * PC, beta);
    for (size_t k = 0; k < PT * PC; k++) y[k] = 8 * x[k];
    OK(smoe_gate_perturbed(PT, PC, PN, 0.5, 2, y, beta, &kept, s));
    OK(smoe_gate_perturbed(PT, PC, PN, 0.5, 0.25, x, beta, &kept, r));
    SAME(s, r, PT * PN, "G.13: x and tau2 times 8");
    OK(smoe_gate_perturbed(PT, PC, PN, 0.5, 0.25, y, beta, &kept, s));
    for (size_t k = 0; k < PT * PN; k++) ck_assert_msg(fabs(s[k]) >= fabs(r[k]), "G.13: a longer token is damped more");
    OK(smoe_gate_perturbed(1, PC, PN, 0.5, 0.25, x + 2 * PC, beta, &kept, s));
    SAME(s, r + 2 * PN, PN, "G.13: a token alone");
    OK(smoe_gate_perturbed(PT, PC, PN, 0.5, 0.25, x, beta, &kept, r));
    dr[2 * PN + 1] = 1;
    OK(smoe_gate_perturbed_vjp(PT, PC, PN, 0.5, 0.25, x, beta, &kept, dr, dx, dbeta, work));
    const double along = smoe_dot(PC, x + 2 * PC, dx + 2 * PC), want = r[2 * PN + 1] * 0.25 / (xn[2] + 0.25);
    ck_assert_msg(near(along, want, 64), "G.13: <dx, x> = %.17g, expected %.17g", along, want);
    OK(smoe_gate_perturbed_vjp(0, PC, PN, 0.5, 0.25, x, beta, &kept, dr, dx, dbeta, work));
    for (size_t k = 0; k < PN * PC; k++) ck_assert_msg(dbeta[k] == 0, "G.13: no tokens, but a gradient");
}
END_TEST

/* In stage 1 the distilled scores do not matter; in stage 2 they decide alone; the weight is of s in both; ties go to
 * the lowest index; whoever is not chosen has no gradient; saturated scores have a slope of e^-|s|, not 0. */
/* evidence properties: G.14 */
START_TEST(stages)
{
    enum { T = 3, N = 4 };
    double x[T * N], e[N * N] = {0}, shat[T * N] = {0}, s[T * N], weight[T], margin[T], dx[T * N], de[N * N],
                           work[T * N];
    const double dweight[T] = {1, 1, 1};
    size_t index[T];
    for (size_t i = 0; i < N; i++) e[i * N + i] = 1; /* s = x */
    for (size_t k = 0; k < T * N; k++) x[k] = (double)((7 * k) % 5) - 2;
    for (int tells = 0; tells < 2; tells++) {
        for (size_t k = 0; k < T * N; k++) shat[k] = tells ? (double)((3 * k) % 11) : 0;
        OK(smoe_gate_stable(SMOE_STABLE_LEARNING, T, N, N, x, e, shat, s, index, weight, margin));
        for (size_t t = 0; t < T; t++)
            for (size_t i = 0; i < N; i++)
                ck_assert_msg(x[t * N + index[t]] > x[t * N + i] ||
                                  (x[t * N + index[t]] == x[t * N + i] && index[t] <= i),
                              "G.14 stage 1: expert %zu for token %zu", index[t], t);
        OK(smoe_gate_stable(SMOE_STABLE_FROZEN, T, N, N, x, e, shat, s, index, weight, margin));
        for (size_t t = 0; t < T; t++) {
            for (size_t i = 0; i < N; i++)
                ck_assert_msg(shat[t * N + index[t]] > shat[t * N + i] ||
                                  (shat[t * N + index[t]] == shat[t * N + i] && index[t] <= i),
                              "G.14 stage 2: expert %zu for token %zu", index[t], t);
            ck_assert_msg(weight[t] == smoe_sigmoid(x[t * N + index[t]]), "G.14 stage 2: the weight is not that of s");
        }
    }
    OK(smoe_gate_stable_vjp(T, N, N, x, e, s, index, dweight, dx, de, work));
    for (size_t k = 0; k < T * N; k++)
        ck_assert_msg((dx[k] != 0) == (k % N == index[k / N]), "G.14: dx[%zu] is %g", k, dx[k]);
    const double far = 100, one = 1;
    OK(smoe_gate_stable(SMOE_STABLE_LEARNING, 1, 1, 1, &far, &one, shat, s, index, weight, margin));
    ck_assert_msg(weight[0] == 1 && isinf(margin[0]), "G.14: one expert");
    OK(smoe_gate_stable_vjp(1, 1, 1, &far, &one, s, index, &one, dx, de, work));
    ck_assert_msg(near(dx[0], smoe_exp(-100), 4), "G.14: the slope at 100 is %g", dx[0]);
    OK(smoe_gate_stable_vjp(0, 1, 1, &far, &one, s, index, &one, dx, de, work));
    ck_assert_msg(de[0] == 0, "G.14: no tokens, but a gradient");
}
END_TEST

/* Equal scores: T ln N; the loss is never negative; dehat sums to 0 over the experts; an id that does not occur has no
 * gradient, an id that occurs twice the sum of both; the mean is the sum over T. */
/* evidence properties: G.15 */
START_TEST(distillation)
{
    enum { T = 5, V = 4, M = 3, N = 4 };
    size_t token[T] = {2, 0, 2, 1, 2}, target[T] = {0, 1, 2, 3, 0};
    double table[V * M], ehat[N * M], zero[N * M] = {0}, h[T * M], shat[T * N], lse[T], loss, other, share;
    double dtable[V * M], dehat[N * M], one[V * M], sum[V * M] = {0}, work[T * (N + M)];
    uint64_t seed = 79;
    slopes_fill(&seed, 1.0, V * M, table), slopes_fill(&seed, 2.0, N * M, ehat);
    smoe_stable_distill_in in = {T, V, M, N, token, target, table, zero};
    OK(smoe_stable_distill(&in, h, shat, lse, &loss));
    ck_assert_msg(near(loss, 5 * 2 * LN2, 8), "G.15: equal scores give %.17g, expected 5 ln 4", loss);
    in.ehat = ehat;
    OK(smoe_stable_distill(&in, h, shat, lse, &loss));
    OK(smoe_stable_distill_vjp(&in, h, shat, lse, 1, dtable, dehat, work));
    ck_assert_msg(loss > 0, "G.15: a loss of %g", loss);
    for (size_t k = 0; k < M; k++) {
        double column = 0;
        for (size_t i = 0; i < N; i++) column += dehat[i * M + k];
        ck_assert_msg(fabs(column) < 1e-14, "G.15: dehat sums to %g", column);
        ck_assert_msg(dtable[3 * M + k] == 0, "G.15: an id that does not occur has a gradient");
    }
    double total = 0;
    for (size_t t = 0; t < T; t++) { /* the tokens one by one */
        smoe_stable_distill_in single = in;
        single.T = 1, single.token = token + t, single.target = target + t;
        OK(smoe_stable_distill(&single, h, shat, lse, &share));
        OK(smoe_stable_distill_vjp(&single, h, shat, lse, 1, one, dehat, work));
        for (size_t k = 0; k < V * M; k++) sum[k] += one[k];
        total += share;
    }
    ck_assert_msg(total == loss, "G.15: %a is not the sum of its tokens, %a", loss, total);
    SAME(dtable, sum, V * M, "G.15 dtable against the sum of its tokens'");
    OK(smoe_stable_distill_mean(&in, h, shat, lse, &other));
    ck_assert_msg(other == loss / 5, "G.15: the mean is %.17g", other);
    in.T = 0;
    OK(smoe_stable_distill(&in, h, shat, lse, &loss));
    OK(smoe_stable_distill_vjp(&in, h, shat, lse, 1, dtable, dehat, work));
    ck_assert_msg(loss == 0 && dtable[6] == 0 && dehat[0] == 0, "G.15: no tokens");
    OK(smoe_cross_entropy(2, (double[]){5000, -5000}, 1, lse, &loss));
    ck_assert_msg(loss == 10000, "G.15: scores 10000 apart give %g", loss);
}
END_TEST

static void deepseek_run(deepseek *m, smoe_deepseek_weights weights, size_t groups, size_t kept, size_t K,
                         const double *x, const double *e, const double *bias)
{
    m->in = (smoe_deepseek_in){weights, PT, PD, 8, K, groups, kept, 2, x, e, bias};
    deepseek_open(m);
    OK(smoe_gate_deepseek(&m->in, &m->out, m->work, m->group));
}

/* A constant on all biases changes nothing; a bias that leaves the choice as it is leaves no trace (BiasLeak);
 * normalised weights sum to the scale; without normalising they are the scores; keeping all groups is no limit. */
/* evidence properties: G.16 */
START_TEST(a_bias_only_chooses)
{
    static deepseek a, b;
    double x[PT * PD], e[8 * PD], zero[8] = {0}, bias[8], dweight[PT * 3], dx[PT * PD];
    uint64_t seed = 83;
    slopes_fill(&seed, 1.0, PT * PD, x), slopes_fill(&seed, 1.0, 8 * PD, e), slopes_fill(&seed, 1.0, PT * 3, dweight);
    deepseek_run(&a, SMOE_DEEPSEEK_RENORM, 1, 1, 3, x, e, zero);
    for (size_t t = 0; t < PT; t++) {
        ck_assert_msg(near(smoe_sum(3, a.weight + 3 * t), 2, 8), "G.16: the weights of token %zu", t);
        for (size_t j = 1; j < 3; j++) ck_assert_msg(a.weight[3 * t + j] <= a.weight[3 * t + j - 1], "G.16: order");
    }
    OK(smoe_gate_deepseek_vjp(&a.in, &a.out, dweight, dx, a.de, a.work));
    for (size_t i = 0; i < 8; i++) bias[i] = -2.5;
    deepseek_run(&b, SMOE_DEEPSEEK_RENORM, 1, 1, 3, x, e, bias);
    ck_assert_msg(memcmp(a.index, b.index, PT * 3 * sizeof *a.index) == 0, "G.16: a constant bias changed the choice");
    SAME(b.weight, a.weight, PT * 3, "G.16 weight with a constant bias");
    OK(smoe_gate_deepseek_vjp(&b.in, &b.out, dweight, b.dx, b.de, b.work));
    SAME(b.dx, dx, PT * PD, "G.16 dx with a constant bias");
    deepseek_run(&b, SMOE_DEEPSEEK_RENORM, 4, 4, 3, x, e, zero);
    SAME(b.weight, a.weight, PT * 3, "G.16 weight with all groups kept");
    for (size_t i = 0; i < 8; i++) bias[i] = i < 3 ? 8 - (double)i : 0; /* experts 0, 1, 2, whatever they score */
    deepseek_run(&b, SMOE_DEEPSEEK_PLAIN, 1, 1, 3, x, e, bias);
    for (size_t k = 0; k < PT * 3; k++) {
        ck_assert_msg(b.index[k] == k % 3, "G.16: a large bias does not choose");
        ck_assert_msg(b.weight[k] == 2 * b.s[k / 3 * 8 + k % 3], "G.16: the bias is in the weight");
    }
}
END_TEST

/* Every expert chosen is in one of the kept groups, also when all s + bias are negative (GroupMaskZero); a group counts
 * by its two best; ties of groups go to the lowest; all of the kept may be chosen. */
/* evidence properties: G.16 */
START_TEST(groups)
{
    static deepseek m;
    double x[PT * PD], e[8 * PD], bias[8], score[8], value[8], limited[8];
    size_t group[8];
    uint64_t seed = 89;
    slopes_fill(&seed, 1.0, PT * PD, x), slopes_fill(&seed, 2.0, 8 * PD, e);
    for (size_t i = 0; i < 8; i++) bias[i] = -3 - 0.25 * (double)(i % 3);
    deepseek_run(&m, SMOE_DEEPSEEK_RENORM, 4, 2, 4, x, e, bias);
    for (size_t t = 0; t < PT; t++) {
        bool in[4] = {false};
        size_t different = 0;
        for (size_t j = 0; j < 4; j++) in[m.index[4 * t + j] / 2] = true;
        for (size_t g = 0; g < 4; g++) different += in[g];
        ck_assert_msg(different == 2, "G.16: token %zu chose from %zu groups of two", t, different);
        ck_assert_msg(m.margin[t] > 0x1p99, "G.16: margin %g where nothing is left to choose", m.margin[t]);
    }
    const double b[8] = {0.9, 0.1, 0.6, 0.5, -4, -5, 0.25, 0.75};
    OK(smoe_group_limit(8, 4, 2, b, score, group, value, limited));
    ck_assert_msg(score[1] == 0.6 + 0.5 && score[2] == -9, "G.16: group scores %g, %g", score[1], score[2]);
    ck_assert_msg(group[0] == 1 && group[1] == 0, "G.16: groups %zu and %zu", group[0], group[1]); /* 1.1, and 1 = 1 */
    SAME(limited, ((double[]){0.9, 0.1, 0.6, 0.5, SMOE_OUTSIDE, SMOE_OUTSIDE, SMOE_OUTSIDE, SMOE_OUTSIDE}), 8,
         "G.16 limited");
    OK(smoe_group_limit(8, 8, 2, b, score, group, value, limited));
    SAME(score, b, 8, "G.16: score of groups of one");
    OK(smoe_group_limit(8, 2, 1, b, score, group, value, limited));
    ck_assert_msg(score[0] == 0.9 + 0.6 && score[1] == 1, "G.16: scores %g, %g of groups of four", score[0], score[1]);
    ck_assert_msg(smoe_group_score(3, (double[]){1, 4, 3}) == 7 && smoe_group_score(3, (double[]){4, 1, 3}) == 7 &&
                      smoe_group_score(3, (double[]){3, 4, 1}) == 7 && smoe_group_score(3, (double[]){4, 4, 1}) == 8,
                  "G.16: the two largest of three");
    deepseek_run(&m, SMOE_DEEPSEEK_RENORM, 1, 1, 8, x, e, bias);
    ck_assert_msg(isinf(m.margin[0]), "G.16: margin for K = N is %g", m.margin[0]);
}
END_TEST

/* Zero tokens: all scores 1/2, the first experts, weights scale/K; K = 1: weight the scale, gradient 0. */
/* evidence properties: G.16 */
START_TEST(deepseek_corners)
{
    static deepseek m;
    double x[PT * PD] = {0}, e[8 * PD], zero[8] = {0}, dweight[PT] = {1, 2, 3, 4, 5, 6};
    uint64_t seed = 97;
    slopes_fill(&seed, 1.0, 8 * PD, e);
    deepseek_run(&m, SMOE_DEEPSEEK_RENORM, 4, 2, 4, x, e, zero);
    for (size_t k = 0; k < PT * 4; k++)
        ck_assert_msg(m.index[k] == k % 4 && m.weight[k] == 0.5, "G.16: ties: %zu with %g", m.index[k], m.weight[k]);
    slopes_fill(&seed, 1.0, PT * PD, x);
    deepseek_run(&m, SMOE_DEEPSEEK_RENORM, 1, 1, 1, x, e, zero);
    OK(smoe_gate_deepseek_vjp(&m.in, &m.out, dweight, m.dx, m.de, m.work));
    for (size_t t = 0; t < PT; t++) ck_assert_msg(m.weight[t] == 2, "G.16: K = 1 has the weight %g", m.weight[t]);
    for (size_t k = 0; k < PT * PD; k++) ck_assert_msg(m.dx[k] == 0, "G.16: K = 1 has the gradient %g", m.dx[k]);
    m.in.T = 0;
    OK(smoe_gate_deepseek(&m.in, &m.out, m.work, m.group));
    OK(smoe_gate_deepseek_vjp(&m.in, &m.out, dweight, m.dx, m.de, m.work));
    for (size_t k = 0; k < 8 * PD; k++) ck_assert_msg(m.de[k] == 0, "G.16: no tokens, but a gradient");
}
END_TEST

/* --- errors --- */

#define REFUSED(call, status) ck_assert_int_eq(call, status)

START_TEST(vectors_that_are_refused)
{
    double x[2] = {1, 2}, u[2] = {0.5, 0.5}, du[2] = {1, 1}, out[2], norm;
    const double huge[2] = {0x1.fp1023, 0x1.fp1023}, tiny[2] = {0x1p-1074, 0};
    poison(2, out), poison(1, &norm);
    REFUSED(smoe_unit(0, x, &norm, out), SMOE_EINVAL);
    REFUSED(smoe_unit_vjp(0, 1, u, du, out), SMOE_EINVAL);
    REFUSED(smoe_damped(0, 1, x, &norm, out), SMOE_EINVAL);
    REFUSED(smoe_damped_vjp(0, 1, x, 1, u, du, out), SMOE_EINVAL);
    x[1] = bad[_i];
    REFUSED(smoe_unit(2, x, &norm, out), SMOE_EDOM);
    REFUSED(smoe_damped(2, 1, x, &norm, out), SMOE_EDOM);
    REFUSED(smoe_unit_vjp(2, 1, x, du, out), SMOE_EDOM);
    REFUSED(smoe_unit_vjp(2, 1, u, x, out), SMOE_EDOM);
    REFUSED(smoe_unit_vjp(2, bad[_i], u, du, out), SMOE_EDOM);
    REFUSED(smoe_unit_vjp(2, -1, u, du, out), SMOE_EDOM);
    REFUSED(smoe_damped_vjp(2, 1, x, 1, u, du, out), SMOE_EDOM);
    REFUSED(smoe_damped_vjp(2, 1, u, 1, x, du, out), SMOE_EDOM);
    REFUSED(smoe_damped_vjp(2, 1, u, 1, u, x, out), SMOE_EDOM);
    REFUSED(smoe_damped_vjp(2, 1, u, bad[_i], u, du, out), SMOE_EDOM);
    REFUSED(smoe_damped_vjp(2, 1, u, -1, u, du, out), SMOE_EDOM);
    REFUSED(smoe_damped_vjp(2, bad[_i], u, 1, u, du, out), SMOE_EDOM);
    REFUSED(smoe_damped_vjp(2, -1, u, 1, u, du, out), SMOE_EDOM);
    REFUSED(smoe_damped_vjp(2, 0, u, 0, u, du, out), SMOE_EDOM);
    REFUSED(smoe_damped(2, bad[_i], u, &norm, out), SMOE_EDOM);
    REFUSED(smoe_damped(2, -1, u, &norm, out), SMOE_EDOM);
    REFUSED(smoe_damped(2, 0, (double[]){0, -0.0}, &norm, out), SMOE_EDOM);
    ck_assert_msg(untouched(2, out) && untouched(1, &norm), "a direction was written in spite of an error");
    REFUSED(smoe_unit(2, huge, &norm, out), SMOE_EOVRFLW);
    REFUSED(smoe_damped(2, 1, huge, &norm, out), SMOE_EOVRFLW);
    REFUSED(smoe_damped(1, 0x1.8p1023, huge, &norm, out), SMOE_EOVRFLW);
    REFUSED(smoe_unit_vjp(2, 0x1p-1074, u, (double[]){1, 2}, out), SMOE_EOVRFLW);
    REFUSED(smoe_damped_vjp(2, 0, tiny, 0x1p-1074, u, (double[]){1, 2}, out), SMOE_EOVRFLW);
}
END_TEST

START_TEST(cosines_that_are_refused)
{
    double q[8] = {1, 1, 1, 1, 1, 1, 1, 1}, n[2], u[2], m[2], v[4], s[2] = {1, 1}, dz[2], de[4], work[16], out[2];
    smoe_cosine_in in = {SMOE_COSINE_NORMALISED, 1, 2, 2, 1, q, q + 2};
    const smoe_cosine_kept kept = {n, u, m, v};
    poison(2, out), poison(2, dz), poison(4, de);
    in.c = 0;
    REFUSED(smoe_cosine_scores(&in, &kept, out), SMOE_EINVAL);
    REFUSED(smoe_cosine_scores_vjp(&in, &kept, s, dz, de, work), SMOE_EINVAL);
    in.c = 2, in.N = 0;
    REFUSED(smoe_cosine_scores(&in, &kept, out), SMOE_EINVAL);
    in.N = 2, in.input = (smoe_cosine_input)7;
    REFUSED(smoe_cosine_scores(&in, &kept, out), SMOE_EINVAL);
    in.input = SMOE_COSINE_NORMALISED;
    for (size_t k = 0; k < 6; k++) {
        q[k] = bad[_i];
        REFUSED(smoe_cosine_scores(&in, &kept, out), SMOE_EDOM);
        REFUSED(smoe_cosine_scores_vjp(&in, &kept, s, dz, de, work), SMOE_EDOM);
        q[k] = 1;
    }
    const double norms[] = {0, -1, bad[_i]};
    for (size_t k = 0; k < 3; k++) {
        in.norm = norms[k];
        REFUSED(smoe_cosine_scores(&in, &kept, out), SMOE_EDOM);
    }
    in.norm = 1;
    OK(smoe_cosine_scores(&in, &kept, s));
    REFUSED(smoe_cosine_scores_vjp(&in, &kept, (double[]){1, bad[_i]}, dz, de, work), SMOE_EDOM);
    ck_assert_msg(untouched(2, out) && untouched(2, dz) && untouched(4, de),
                  "cosine scores wrote in spite of an error");
    double *ds = malloc(2 * sizeof *ds); /* for AddressSanitizer, which knows where it ends */
    ck_assert_ptr_nonnull(ds);
    ds[0] = ds[1] = 1;
    OK(smoe_cosine_scores_vjp(&in, &kept, ds, dz, de, work));
    free(ds);
    const double big[4] = {0x1.8p1023, 0x1.8p1023, 1, 1};
    in.norm = 16;
    REFUSED(smoe_cosine_scores_vjp(&in, &kept, big, dz, de, work), SMOE_EOVRFLW);
    in.norm = 1, in.z = big;
    REFUSED(smoe_cosine_scores(&in, &kept, s), SMOE_EOVRFLW); /* |z| itself */
    in.input = SMOE_COSINE_RAW;
    REFUSED(smoe_cosine_scores(&in, &kept, s), SMOE_EOVRFLW); /* <z, v> */
    in.z = q, in.e = big;
    REFUSED(smoe_cosine_scores(&in, &kept, s), SMOE_EOVRFLW);
    q[0] = 0x1p-1074, q[1] = 0, in.e = q + 2, in.input = SMOE_COSINE_NORMALISED, q[3] = -1;
    OK(smoe_cosine_scores(&in, &kept, s));
    REFUSED(smoe_cosine_scores_vjp(&in, &kept, (double[]){4, 0}, dz, de, work), SMOE_EOVRFLW); /* 4 v / |z| */
    q[2] = 0x1p-1074, q[3] = 0, q[0] = 0, q[1] = 1;
    OK(smoe_cosine_scores(&in, &kept, s));
    REFUSED(smoe_cosine_scores_vjp(&in, &kept, (double[]){4, 0}, dz, de, work), SMOE_EOVRFLW); /* 4 u / |e| */
}
END_TEST

START_TEST(temperatures_that_are_refused)
{
    const double s[2] = {1, 2}, q[2] = {1, 2}, p[2] = {0.5, 0.5}, dw[1] = {1}, spoilt[2] = {1, bad[_i]};
    const size_t I[1] = {1}, off[1] = {2};
    double weight[2], margin, out[2], more[2], dtau;
    size_t index[2];
    poison(2, weight), poison(1, &margin), poison(2, out), poison(2, more), poison(1, &dtau);
    for (size_t K = 0; K < 4; K += 3) {
        REFUSED(smoe_xmoe_softmax(2, K, 1, s, index, weight, &margin, out, more), SMOE_EINVAL);
        REFUSED(smoe_xmoe_sigmoid(2, K, 1, s, index, weight, &margin, out), SMOE_EINVAL);
        REFUSED(smoe_xmoe_softmax_vjp(2, K, 1, I, q, p, dw, out, &dtau, more), SMOE_EINVAL);
        REFUSED(smoe_xmoe_sigmoid_vjp(2, K, 1, I, q, dw, out, &dtau), SMOE_EINVAL);
    }
    const double taus_refused[] = {0, -1, bad[_i]};
    for (size_t k = 0; k < 3; k++) {
        const double tau = taus_refused[k];
        REFUSED(smoe_xmoe_softmax(2, 1, tau, s, index, weight, &margin, out, more), SMOE_EDOM);
        REFUSED(smoe_xmoe_sigmoid(2, 1, tau, s, index, weight, &margin, out), SMOE_EDOM);
        REFUSED(smoe_xmoe_softmax_vjp(2, 1, tau, I, q, p, dw, out, &dtau, more), SMOE_EDOM);
        REFUSED(smoe_xmoe_sigmoid_vjp(2, 1, tau, I, q, dw, out, &dtau), SMOE_EDOM);
    }
    REFUSED(smoe_xmoe_softmax(2, 1, 1, spoilt, index, weight, &margin, out, more), SMOE_EDOM);
    REFUSED(smoe_xmoe_sigmoid(2, 1, 1, spoilt, index, weight, &margin, out), SMOE_EDOM);
    REFUSED(smoe_xmoe_softmax_vjp(2, 1, 1, I, spoilt, p, dw, out, &dtau, more), SMOE_EDOM);
    REFUSED(smoe_xmoe_softmax_vjp(2, 1, 1, I, q, spoilt, dw, out, &dtau, more), SMOE_EDOM);
    REFUSED(smoe_xmoe_softmax_vjp(2, 1, 1, I, q, p, spoilt + 1, out, &dtau, more), SMOE_EDOM);
    REFUSED(smoe_xmoe_softmax_vjp(2, 1, 1, off, q, p, dw, out, &dtau, more), SMOE_EDOM);
    REFUSED(smoe_xmoe_sigmoid_vjp(2, 1, 1, I, spoilt, dw, out, &dtau), SMOE_EDOM);
    REFUSED(smoe_xmoe_sigmoid_vjp(2, 1, 1, off, q, dw, out, &dtau), SMOE_EDOM);
    ck_assert_msg(untouched(2, weight) && untouched(1, &margin) && untouched(2, out) && untouched(2, more) &&
                      untouched(1, &dtau),
                  "G.12's weights wrote in spite of an error");
    REFUSED(smoe_xmoe_softmax(2, 1, 0x1p-1074, s, index, weight, &margin, out, more), SMOE_EOVRFLW);
    REFUSED(smoe_xmoe_sigmoid(2, 1, 0x1p-1074, s, index, weight, &margin, out), SMOE_EOVRFLW);
    const double big[2] = {0x1.8p1023, -0x1.8p1023};
    REFUSED(smoe_xmoe_softmax_vjp(2, 2, 1, (size_t[]){0, 1}, q, (double[]){0.75, 0.25}, big, out, &dtau, more),
            SMOE_EOVRFLW);
    REFUSED(
        smoe_xmoe_softmax_vjp(2, 2, 1, (size_t[]){0, 0}, q, p, (double[]){0x1.8p1023, 0x1.8p1023}, out, &dtau, more),
        SMOE_EOVRFLW);
    REFUSED(smoe_xmoe_softmax_vjp(2, 1, 0x1p-1060, I, q, p, dw, out, &dtau, more), SMOE_EOVRFLW);
    REFUSED(smoe_xmoe_sigmoid_vjp(2, 1, 0x1p-1060, I, q, dw, out, &dtau), SMOE_EOVRFLW);
}
END_TEST

START_TEST(xmoe_refuses)
{
    static xmoe m;
    double x[2] = {1, 2}, w[4] = {1, 0, 0, 1}, e[4] = {1, 0, 0, 1}, dw[2] = {1, 1};
    const smoe_xmoe_in fine = {SMOE_XMOE_SOFTMAX, SMOE_COSINE_NORMALISED, 1, 2, 2, 2, 2, 1, 0.5, x, w, e};
    const smoe_xmoe_grad g = xmoe_grad(&m);
    xmoe_open(&m);
    poison(MANY, m.weight), poison(MANY, m.s), poison(MANY, m.dx), poison(MANY, m.dw), poison(MANY, m.de),
        poison(1, &m.dtau);
    for (int which = 0; which < 7; which++) {
        m.in = fine;
        *(which == 0 ? &m.in.d : which == 1 ? &m.in.c : which == 2 ? &m.in.N : &m.in.K) = 0;
        if (which == 4) m.in.K = 3;
        if (which == 5) m.in = fine, m.in.gate = (smoe_xmoe_gate)9;
        if (which == 6) m.in = fine, m.in.input = (smoe_cosine_input)9;
        REFUSED(smoe_gate_xmoe(&m.in, &m.out), SMOE_EINVAL);
        REFUSED(smoe_gate_xmoe_vjp(&m.in, &m.out, dw, &g, m.work), SMOE_EINVAL);
    }
    m.in = fine;
    double *const part[] = {&x[1], &w[3], &e[3], &m.in.norm, &m.in.tau};
    for (size_t k = 0; k < 5; k++) {
        const double right = *part[k];
        *part[k] = bad[_i];
        REFUSED(smoe_gate_xmoe(&m.in, &m.out), SMOE_EDOM);
        REFUSED(smoe_gate_xmoe_vjp(&m.in, &m.out, dw, &g, m.work), SMOE_EDOM);
        *part[k] = 0;
        if (k > 2) REFUSED(smoe_gate_xmoe(&m.in, &m.out), SMOE_EDOM);
        *part[k] = right;
    }
    REFUSED(smoe_gate_xmoe_vjp(&m.in, &m.out, (double[]){1, bad[_i]}, &g, m.work), SMOE_EDOM);
    ck_assert_msg(untouched(MANY, m.weight) && untouched(MANY, m.s) && untouched(MANY, m.dx) && untouched(MANY, m.dw) &&
                      untouched(MANY, m.de) && untouched(1, &m.dtau),
                  "G.12 wrote in spite of an error");
    w[0] = 0x1p1023, w[1] = 0x1p1023;
    REFUSED(smoe_gate_xmoe(&m.in, &m.out), SMOE_EOVRFLW); /* z */
    w[0] = 1, w[1] = 0, m.in.tau = 0x1p-1074;
    REFUSED(smoe_gate_xmoe(&m.in, &m.out), SMOE_EOVRFLW); /* s / tau */
    m.in.gate = SMOE_XMOE_SIGMOID;
    REFUSED(smoe_gate_xmoe(&m.in, &m.out), SMOE_EOVRFLW);
    m.in = fine;
    OK(smoe_gate_xmoe(&m.in, &m.out));
    REFUSED(smoe_gate_xmoe_vjp(&m.in, &m.out, (double[]){0x1.8p1023, -0x1.8p1023}, &g, m.work), SMOE_EOVRFLW);
    x[1] = 0x1p600, x[0] = 0x1p600; /* dz is tiny, but x is not ... */
    w[3] = 0x1p-590, w[0] = 0x1p-590, e[1] = 0.5;
    OK(smoe_gate_xmoe(&m.in, &m.out));
    OK(smoe_gate_xmoe_vjp(&m.in, &m.out, dw, &g, m.work));
    REFUSED(smoe_gate_xmoe_vjp(&m.in, &m.out, (double[]){0x1p600, 0}, &g, m.work), SMOE_EOVRFLW); /* dW = dz x' */
    /* dtau = -4 sigmoid'(2) dweight = -0.42 dweight of each token; all else is finite, but not the sum of three. */
    const double three[] = {1, 1, 1}, most[] = {0x1.fp1023, 0x1.fp1023, 0x1.fp1023};
    for (size_t T = 2; T <= 3; T++) {
        m.in = (smoe_xmoe_in){SMOE_XMOE_SIGMOID, SMOE_COSINE_NORMALISED, T, 1, 1, 1, 1, 1, 0.5, three, three, three};
        OK(smoe_gate_xmoe(&m.in, &m.out));
        ck_assert_int_eq(smoe_gate_xmoe_vjp(&m.in, &m.out, most, &g, m.work), T == 2 ? SMOE_OK : SMOE_EOVRFLW);
        ck_assert(m.dx[0] == 0 && m.dw[0] == 0 && m.de[0] == 0);
    }
}
END_TEST

START_TEST(perturbed_refuses)
{
    double x[2] = {1, 2}, beta[4] = {1, 0, 3, 1}, xn[1], u[2], bn[2], v[4], r[2], dr[2] = {1, 1}, dx[2], dbeta[4],
           work[8];
    const smoe_perturbed_kept kept = {xn, u, bn, v};
    OK(smoe_gate_perturbed(1, 2, 2, 0, 0, x, beta, &kept, r));
    poison(2, r), poison(2, dx), poison(4, dbeta), poison(1, xn), poison(2, bn);
    REFUSED(smoe_gate_perturbed(1, 0, 2, 0, 0, x, beta, &kept, r), SMOE_EINVAL);
    REFUSED(smoe_gate_perturbed(1, 2, 0, 0, 0, x, beta, &kept, r), SMOE_EINVAL);
    REFUSED(smoe_gate_perturbed_vjp(1, 2, 0, 0, 0, x, beta, &kept, dr, dx, dbeta, work), SMOE_EINVAL);
    for (size_t k = 0; k < 6; k++) {
        double *const at = k < 2 ? &x[k] : &beta[k - 2], right = *at;
        *at = bad[_i];
        REFUSED(smoe_gate_perturbed(1, 2, 2, 1, 1, x, beta, &kept, r), SMOE_EDOM);
        REFUSED(smoe_gate_perturbed_vjp(1, 2, 2, 1, 1, x, beta, &kept, dr, dx, dbeta, work), SMOE_EDOM);
        *at = right;
    }
    REFUSED(smoe_gate_perturbed_vjp(1, 2, 2, 1, 1, x, beta, &kept, (double[]){1, bad[_i]}, dx, dbeta, work), SMOE_EDOM);
    const double taus_refused[] = {-1, bad[_i]};
    for (size_t k = 0; k < 2; k++) {
        REFUSED(smoe_gate_perturbed(1, 2, 2, taus_refused[k], 1, x, beta, &kept, r), SMOE_EDOM);
        REFUSED(smoe_gate_perturbed(1, 2, 2, 1, taus_refused[k], x, beta, &kept, r), SMOE_EDOM);
    }
    REFUSED(smoe_gate_perturbed(1, 2, 2, 1, 0, (double[]){0, 0}, beta, &kept, r), SMOE_EDOM);
    REFUSED(smoe_gate_perturbed(1, 2, 2, 0, 1, x, (double[]){1, 2, 0, 0}, &kept, r), SMOE_EDOM);
    const double followed[] = {0, 0, 0, 1}; /* a zero row ends before the next 0 */
    REFUSED(smoe_gate_perturbed(1, 2, 2, 0, 1, x, followed, &kept, r), SMOE_EDOM);
    ck_assert_msg(untouched(2, r) && untouched(2, dx) && untouched(4, dbeta) && untouched(1, xn) && untouched(2, bn),
                  "G.13 wrote in spite of an error");
    OK(smoe_gate_perturbed(1, 2, 2, 1, 1, (double[]){0, 0}, (double[]){0, 0, 0, 0}, &kept, r));
    REFUSED(smoe_gate_perturbed(1, 2, 2, 1, 1, (double[]){0x1.fp1023, 0x1.fp1023}, beta, &kept, r), SMOE_EOVRFLW);
    REFUSED(smoe_gate_perturbed(1, 2, 2, 0x1.8p1023, 1, x, (double[]){0x1.8p1023, 0, 1, 1}, &kept, r), SMOE_EOVRFLW);
    OK(smoe_gate_perturbed(1, 2, 2, 0, 0, x, beta, &kept, r));
    const double big[2] = {0x1.8p1023, 0x1.8p1023};
    REFUSED(smoe_gate_perturbed_vjp(1, 2, 2, 0, 0, x, beta, &kept, big, dx, dbeta, work), SMOE_EOVRFLW);
}
END_TEST

START_TEST(stable_refuses)
{
    double x[2] = {1, 2}, e[4] = {1, 0, 3, 1}, shat[2] = {1, 2}, s[2], weight[1], margin[1], dx[2], de[4], work[2],
           ds[2];
    size_t index[1] = {1}, off[1] = {2};
    poison(2, s), poison(1, weight), poison(2, dx), poison(4, de), poison(2, ds);
    REFUSED(smoe_gate_stable(SMOE_STABLE_LEARNING, 1, 0, 2, x, e, shat, s, index, weight, margin), SMOE_EINVAL);
    REFUSED(smoe_gate_stable(SMOE_STABLE_LEARNING, 1, 2, 0, x, e, shat, s, index, weight, margin), SMOE_EINVAL);
    REFUSED(smoe_gate_stable((smoe_stable_stage)3, 1, 2, 2, x, e, shat, s, index, weight, margin), SMOE_EINVAL);
    REFUSED(smoe_gate_stable_vjp(1, 0, 2, x, e, shat, index, x, dx, de, work), SMOE_EINVAL);
    REFUSED(smoe_gate_stable_vjp(1, 2, 0, x, e, shat, index, x, dx, de, work), SMOE_EINVAL);
    REFUSED(smoe_stable_choice(0, x, x, index, weight, margin), SMOE_EINVAL);
    REFUSED(smoe_stable_choice_vjp(0, x, 0, 1, ds), SMOE_EINVAL);
    double *const part[] = {&x[1], &e[3], &shat[1]};
    for (int stage = 0; stage < 2; stage++)
        for (size_t k = 0; k < 3; k++) {
            const double right = *part[k];
            *part[k] = bad[_i];
            REFUSED(smoe_gate_stable(stage ? SMOE_STABLE_FROZEN : SMOE_STABLE_LEARNING, 1, 2, 2, x, e, shat, s, index,
                                     weight, margin),
                    SMOE_EDOM);
            if (k < 2)
                REFUSED(smoe_gate_stable_vjp(1, 2, 2, x, e, (double[]){1, 1}, index, shat, dx, de, work), SMOE_EDOM);
            *part[k] = right;
        }
    const double spoilt[2] = {1, bad[_i]};
    REFUSED(smoe_gate_stable_vjp(1, 2, 2, x, e, shat, index, spoilt + 1, dx, de, work), SMOE_EDOM);
    REFUSED(smoe_gate_stable_vjp(1, 2, 2, x, e, spoilt, index, x, dx, de, work), SMOE_EDOM);
    REFUSED(smoe_gate_stable_vjp(1, 2, 2, x, e, shat, off, x, dx, de, work), SMOE_EDOM);
    REFUSED(smoe_stable_choice(2, spoilt, x, index, weight, margin), SMOE_EDOM);
    REFUSED(smoe_stable_choice(2, x, spoilt, index, weight, margin), SMOE_EDOM);
    REFUSED(smoe_stable_choice_vjp(2, spoilt, 0, 1, ds), SMOE_EDOM);
    REFUSED(smoe_stable_choice_vjp(2, x, 0, bad[_i], ds), SMOE_EDOM);
    REFUSED(smoe_stable_choice_vjp(2, x, 2, 1, ds), SMOE_EDOM);
    ck_assert_msg(untouched(2, s) && untouched(1, weight) && untouched(2, dx) && untouched(4, de) && untouched(2, ds),
                  "G.14 wrote in spite of an error");
    x[0] = 0x1p1023, e[2] = 3;
    REFUSED(smoe_gate_stable(SMOE_STABLE_LEARNING, 1, 2, 2, x, e, shat, s, index, weight, margin), SMOE_EOVRFLW);
    const double zero[2] = {0, 0};
    REFUSED(smoe_gate_stable_vjp(1, 2, 2, x, e, zero, index, (double[]){0x1p100}, dx, de, work), SMOE_EOVRFLW);
}
END_TEST

START_TEST(distill_refuses)
{
    const size_t token[2] = {0, 1}, target[2] = {1, 0}, off[2] = {0, 2};
    double table[2] = {1, 2}, ehat[2] = {3, 4}, h[2], shat[4], lse[2], loss, dtable[2], dehat[2], work[6], ds[2];
    const smoe_stable_distill_in fine = {2, 2, 1, 2, token, target, table, ehat};
    smoe_stable_distill_in in = fine;
    OK(smoe_stable_distill(&in, h, shat, lse, &loss));
    poison(2, h), poison(1, &loss), poison(2, dtable), poison(2, dehat), poison(2, ds);
    const double k_shat[4] = {1, 1, 1, 1}, k_lse[2] = {2, 2}, spoilt[4] = {1, bad[_i], 1, 1};
    for (int which = 0; which < 3; which++) {
        in = fine;
        *(which == 0 ? &in.V : which == 1 ? &in.m : &in.N) = 0;
        REFUSED(smoe_stable_distill(&in, h, shat, lse, &loss), SMOE_EINVAL);
        REFUSED(smoe_stable_distill_vjp(&in, h, k_shat, k_lse, 1, dtable, dehat, work), SMOE_EINVAL);
    }
    in = fine, in.T = 0;
    REFUSED(smoe_stable_distill_mean(&in, h, shat, lse, &loss), SMOE_EINVAL);
    REFUSED(smoe_stable_distill_mean_vjp(&in, h, k_shat, k_lse, 1, dtable, dehat, work), SMOE_EINVAL);
    in = fine, in.token = off;
    REFUSED(smoe_stable_distill(&in, h, shat, lse, &loss), SMOE_EDOM);
    in = fine, in.target = off;
    REFUSED(smoe_stable_distill_mean(&in, h, shat, lse, &loss), SMOE_EDOM);
    REFUSED(smoe_stable_distill_vjp(&in, h, k_shat, k_lse, 1, dtable, dehat, work), SMOE_EDOM);
    in = fine;
    for (size_t k = 0; k < 4; k++) {
        double *const at = k < 2 ? &table[k] : &ehat[k - 2], right = *at;
        *at = bad[_i];
        REFUSED(smoe_stable_distill(&in, h, shat, lse, &loss), SMOE_EDOM);
        REFUSED(smoe_stable_distill_vjp(&in, h, k_shat, k_lse, 1, dtable, dehat, work), SMOE_EDOM);
        *at = right;
    }
    REFUSED(smoe_stable_distill_vjp(&in, h, k_shat, k_lse, bad[_i], dtable, dehat, work), SMOE_EDOM);
    REFUSED(smoe_stable_distill_vjp(&in, h, spoilt, k_lse, 1, dtable, dehat, work), SMOE_EDOM);
    REFUSED(smoe_cross_entropy(0, k_lse, 0, lse, &loss), SMOE_EINVAL);
    REFUSED(smoe_cross_entropy(2, k_lse, 2, lse, &loss), SMOE_EDOM);
    REFUSED(smoe_cross_entropy(2, spoilt, 0, lse, &loss), SMOE_EDOM);
    REFUSED(smoe_cross_entropy_vjp(0, k_lse, 0, 1, 1, ds), SMOE_EINVAL);
    REFUSED(smoe_cross_entropy_vjp(2, k_lse, 2, 1, 1, ds), SMOE_EDOM);
    REFUSED(smoe_cross_entropy_vjp(2, spoilt, 0, 1, 1, ds), SMOE_EDOM);
    REFUSED(smoe_cross_entropy_vjp(2, k_lse, 0, bad[_i], 1, ds), SMOE_EDOM);
    REFUSED(smoe_cross_entropy_vjp(2, k_lse, 0, 1, bad[_i], ds), SMOE_EDOM);
    ck_assert_msg(untouched(2, h) && untouched(1, &loss) && untouched(2, dtable) && untouched(2, dehat) &&
                      untouched(2, ds),
                  "G.15 wrote in spite of an error");
    REFUSED(smoe_cross_entropy(2, (double[]){0x1.8p1023, -0x1.8p1023}, 1, lse, &loss), SMOE_EOVRFLW);
    REFUSED(smoe_cross_entropy_vjp(1, (double[]){800}, 0, 1, 0x1p100, ds),
            SMOE_EOVRFLW); /* an lse that is not its own */
    OK(smoe_cross_entropy_vjp(1, (double[]){1}, 0, 1.7, -0x1.fffffffffffffp1023, ds));
    table[0] = 0x1p1023;
    REFUSED(smoe_stable_distill(&in, h, shat, lse, &loss), SMOE_EOVRFLW);
    table[0] = 0x1p1000, ehat[0] = 0x1p20, ehat[1] = -0x1p20;
    const smoe_stable_distill_in same = {2, 2, 1, 2, (size_t[]){0, 0}, (size_t[]){1, 1}, table, ehat};
    table[0] = 0x1.4p1002;
    REFUSED(smoe_stable_distill(&same, h, shat, lse, &loss), SMOE_EOVRFLW); /* each share is finite, the sum is not */
    table[0] = 1, ehat[0] = 1, ehat[1] = 1;
    OK(smoe_stable_distill(&same, h, shat, lse, &loss));
    ehat[0] = 0x1p1000, ehat[1] = -0x1p1000;
    REFUSED(smoe_stable_distill_vjp(&same, h, shat, lse, 0x1p100, dtable, dehat, work), SMOE_EOVRFLW);
}
END_TEST

START_TEST(scaled_weights_refuse)
{
    const double s[3] = {0.5, 0.25, 0}, zero[3] = {0, 0, 0}, spoilt[3] = {0.5, bad[_i], 0.5}, dw[2] = {1, 2};
    const size_t I[2] = {0, 1}, off[2] = {0, 3};
    double weight[3], ds[3], v[3], dv[3];
    poison(3, weight), poison(3, ds), poison(3, v), poison(3, dv);
    for (size_t K = 0; K < 8; K += 4) {
        REFUSED(smoe_weights_scaled(3, K, 1, s, I, weight), SMOE_EINVAL);
        REFUSED(smoe_weights_scaled_renorm(3, K, 1, s, I, weight), SMOE_EINVAL);
        REFUSED(smoe_weights_scaled_vjp(3, K, 1, s, I, dw, ds, dv), SMOE_EINVAL);
        REFUSED(smoe_weights_scaled_renorm_vjp(3, K, 1, s, I, dw, ds, v, dv), SMOE_EINVAL);
    }
    REFUSED(smoe_weights_scaled(3, 2, 1, s, off, weight), SMOE_EDOM);
    REFUSED(smoe_weights_scaled(3, 2, 1, spoilt, I, weight), SMOE_EDOM);
    REFUSED(smoe_weights_scaled(3, 2, bad[_i], s, I, weight), SMOE_EDOM);
    REFUSED(smoe_weights_scaled_renorm(3, 2, 1, spoilt, I, weight), SMOE_EDOM);
    REFUSED(smoe_weights_scaled_renorm(3, 2, 1, zero, I, weight), SMOE_EDOM);
    REFUSED(smoe_weights_scaled_vjp(3, 2, 1, spoilt, I, dw, ds, dv), SMOE_EDOM);
    REFUSED(smoe_weights_scaled_vjp(3, 2, 1, s, I, spoilt, ds, dv), SMOE_EDOM);
    REFUSED(smoe_weights_scaled_renorm_vjp(3, 2, 1, spoilt, I, dw, ds, v, dv), SMOE_EDOM);
    REFUSED(smoe_weights_scaled_renorm_vjp(3, 2, 1, s, I, spoilt, ds, v, dv), SMOE_EDOM);
    REFUSED(smoe_weights_scaled_renorm_vjp(3, 2, 1, zero, I, dw, ds, v, dv), SMOE_EDOM);
    ck_assert_msg(untouched(3, weight) && untouched(3, ds) && untouched(3, v) && untouched(3, dv),
                  "G.16's weights wrote");
    const double big[3] = {0x1.8p1023, 0x1.8p1023, 0}, tiny[3] = {0x1p-1060, 0x1p-1060, 0};
    REFUSED(smoe_weights_scaled(3, 1, 0x1p10, big, I, weight), SMOE_EOVRFLW);
    OK(smoe_weights_scaled_renorm(3, 2, 1.5, (double[]){0x1p-1074, 0x1p1023, 0}, (size_t[]){1, 0}, weight));
    REFUSED(smoe_weights_scaled_renorm(2, 2, 0x1.8p1023, (double[]){2, -1}, I, weight), SMOE_EOVRFLW);
    REFUSED(smoe_weights_scaled_vjp(3, 2, 4, s, I, big, ds, dv), SMOE_EOVRFLW);
    REFUSED(smoe_weights_scaled_renorm_vjp(3, 2, 4, s, I, big, ds, v, dv), SMOE_EOVRFLW);
    REFUSED(smoe_weights_scaled_renorm_vjp(3, 2, 1, tiny, I, dw, ds, v, dv), SMOE_EOVRFLW);
    REFUSED(smoe_weights_scaled_vjp(3, 2, 1, s, (size_t[]){1, 1}, big, ds, dv), SMOE_EOVRFLW);
}
END_TEST

START_TEST(deepseek_refuses)
{
    static deepseek m;
    double x[2] = {1, 2}, e[8] = {1, 0, 0, 1, 1, 1, 2, 0}, bias[4] = {0, 0, 0, 0}, dw[2] = {1, 2}, out[4], value[4],
           score[4];
    size_t group[4];
    const smoe_deepseek_in fine = {SMOE_DEEPSEEK_RENORM, 1, 2, 4, 2, 2, 1, 2.5, x, e, bias};
    deepseek_open(&m);
    poison(MANY, m.weight), poison(MANY, m.s), poison(MANY, m.dx), poison(MANY, m.de);
    for (int which = 0; which < 9; which++) {
        m.in = fine;
        if (which == 0) m.in.d = 0;
        if (which == 1) m.in.N = 0;
        if (which == 2) m.in.K = 0;
        if (which == 3) m.in.groups = 0;
        if (which == 4) m.in.groups = 3;
        if (which == 5) m.in.kept = 0;
        if (which == 6) m.in.kept = 3;
        if (which == 7) m.in.K = 3;
        if (which == 8) m.in.weights = (smoe_deepseek_weights)5;
        REFUSED(smoe_gate_deepseek(&m.in, &m.out, m.work, m.group), SMOE_EINVAL);
        REFUSED(smoe_gate_deepseek_vjp(&m.in, &m.out, dw, m.dx, m.de, m.work), SMOE_EINVAL);
    }
    m.in = fine;
    double *const part[] = {&x[1], &e[7], &bias[3], &m.in.scale};
    for (size_t k = 0; k < 4; k++) {
        const double right = *part[k];
        *part[k] = bad[_i];
        REFUSED(smoe_gate_deepseek(&m.in, &m.out, m.work, m.group), SMOE_EDOM);
        REFUSED(smoe_gate_deepseek_vjp(&m.in, &m.out, dw, m.dx, m.de, m.work), SMOE_EDOM);
        *part[k] = right;
    }
    bias[3] = -0x1p99;
    REFUSED(smoe_gate_deepseek(&m.in, &m.out, m.work, m.group), SMOE_EDOM);
    bias[3] = 0;
    REFUSED(smoe_gate_deepseek_vjp(&m.in, &m.out, (double[]){1, bad[_i]}, m.dx, m.de, m.work), SMOE_EDOM);
    ck_assert_msg(untouched(MANY, m.weight) && untouched(MANY, m.s) && untouched(MANY, m.dx) && untouched(MANY, m.de),
                  "G.16 wrote in spite of an error");
    OK(smoe_gate_deepseek(&m.in, &m.out, m.work, m.group));
    m.index[1] = 4;
    REFUSED(smoe_gate_deepseek_vjp(&m.in, &m.out, dw, m.dx, m.de, m.work), SMOE_EDOM);
    /* A token that overflows, before one whose cotangent is no number: the argument is at fault. */
    const double x2[] = {1, 1}, e2[] = {1, 0}, none[] = {0, 0};
    m.in = (smoe_deepseek_in){SMOE_DEEPSEEK_PLAIN, 2, 1, 2, 2, 1, 1, 2.5, x2, e2, none};
    OK(smoe_gate_deepseek(&m.in, &m.out, m.work, m.group));
    REFUSED(smoe_gate_deepseek_vjp(&m.in, &m.out, (double[]){DBL_MAX, 0, 1, 0}, m.dx, m.de, m.work), SMOE_EOVRFLW);
    REFUSED(smoe_gate_deepseek_vjp(&m.in, &m.out, (double[]){DBL_MAX, 0, bad[_i], 0}, m.dx, m.de, m.work), SMOE_EDOM);
    m.in = fine;
    m.index[1] = 3;
    const double big[2] = {0x1.8p1023, 0x1.8p1023};
    REFUSED(smoe_gate_deepseek_vjp(&m.in, &m.out, big, m.dx, m.de, m.work), SMOE_EOVRFLW);
    x[0] = 0x1p1023;
    REFUSED(smoe_gate_deepseek(&m.in, &m.out, m.work, m.group), SMOE_EOVRFLW);
    x[0] = -0x1p12, x[1] = -0x1p12;
    REFUSED(smoe_gate_deepseek(&m.in, &m.out, m.work, m.group), SMOE_EDOM); /* all scores underflow: no ratio */
    m.in.weights = SMOE_DEEPSEEK_PLAIN;
    OK(smoe_gate_deepseek(&m.in, &m.out, m.work, m.group));
    x[0] = 0x1p1000, x[1] = 0, e[0] = e[2] = e[4] = e[6] = 0;
    OK(smoe_gate_deepseek(&m.in, &m.out, m.work, m.group));
    REFUSED(smoe_gate_deepseek_vjp(&m.in, &m.out, (double[]){0x1p100, 0}, m.dx, m.de, m.work),
            SMOE_EOVRFLW); /* dz x' */
    x[0] = 0, e[0] = e[2] = e[4] = e[6] = 0x1p1000; /* dz x' = 0 */
    OK(smoe_gate_deepseek(&m.in, &m.out, m.work, m.group));
    REFUSED(smoe_gate_deepseek_vjp(&m.in, &m.out, (double[]){0x1p100, 0}, m.dx, m.de, m.work),
            SMOE_EOVRFLW); /* e' dz */
    poison(4, out), poison(4, score);
    const double b[4] = {1, 2, 3, 4}, spoilt[4] = {1, 2, 3, bad[_i]};
    REFUSED(smoe_group_limit(4, 0, 1, b, score, group, value, out), SMOE_EINVAL);
    REFUSED(smoe_group_limit(4, 3, 1, b, score, group, value, out), SMOE_EINVAL);
    REFUSED(smoe_group_limit(0, 1, 1, b, score, group, value, out), SMOE_EINVAL);
    REFUSED(smoe_group_limit(4, 2, 0, b, score, group, value, out), SMOE_EINVAL);
    REFUSED(smoe_group_limit(4, 2, 3, b, score, group, value, out), SMOE_EINVAL);
    REFUSED(smoe_group_limit(4, 2, 1, spoilt, score, group, value, out), SMOE_EDOM);
    REFUSED(smoe_group_limit(4, 2, 1, (double[]){0, 0, 0x1p99, 0}, score, group, value, out), SMOE_EDOM);
    ck_assert_msg(untouched(4, out) && untouched(4, score), "the group limit wrote in spite of an error");
}
END_TEST

/* The last number of one array is beyond the format, and no other number is. */
START_TEST(overflow_of_the_last_number)
{
    const size_t T = _i ? 5 : 2, D = _i ? 4 : 3, C = _i ? 3 : 4, N = _i ? 2 : 5, K = 2, V = _i ? 2 : 4, M = 3;
    const double big = LONE_BIG;
    double *a = zeros(), *b = zeros(), *c = zeros(), *work = zeros(), number;
    size_t index[MANY] = {0}, token[MANY] = {0}, target[MANY] = {0}, group[1];
    token[T - 1] = V - 1, target[T - 1] = N - 1;
    REFUSED(smoe_unit_vjp(D, 1 / big, zeros(), lone(D, big), a), SMOE_EOVRFLW);
    REFUSED(smoe_damped_vjp(D, 0, zeros(), 1 / big, zeros(), lone(D, big), a), SMOE_EOVRFLW);

    for (int form = 0; form < 2; form++) {
        const smoe_cosine_input input = form ? SMOE_COSINE_RAW : SMOE_COSINE_NORMALISED;
        const smoe_cosine_in flat = {input, T, C, N, 1, zeros(), zeros()};
        const smoe_cosine_kept of_v = {zeros(), zeros(), zeros(), lone(N * C, big)},
                               of_u = {zeros(), lone(T * C, big), zeros(), zeros()};
        REFUSED(smoe_cosine_scores_vjp(&flat, &of_v, lone(T * N, big), a, b, work), SMOE_EOVRFLW); /* du */
        REFUSED(smoe_cosine_scores_vjp(&flat, &of_u, lone(T * N, big), a, b, work), SMOE_EOVRFLW); /* dv */
    }
    const smoe_cosine_in raw = {SMOE_COSINE_RAW, T, C, N, big, lone(T * C, big), lone(N * C, 1)};
    const smoe_cosine_kept kept = {zeros(), zeros(), zeros(), zeros()};
    REFUSED(smoe_cosine_scores(&raw, &kept, a), SMOE_EOVRFLW);

    REFUSED(smoe_xmoe_softmax(N, K, 1 / big, lone(N, big), index, a, &number, b, c), SMOE_EOVRFLW);
    REFUSED(smoe_xmoe_sigmoid(N, K, 1 / big, lone(N, big), index, a, &number, b), SMOE_EOVRFLW);
    for (size_t k = 0; k < T * K; k++) index[k] = k % 2 ? N - 1 : 0;
    REFUSED(smoe_xmoe_sigmoid_vjp(N, K, 1 / big, index, zeros(), lone(K, big), a, &number), SMOE_EOVRFLW); /* ds */
    REFUSED(smoe_xmoe_sigmoid_vjp(N, K, 0x1p-5, index, lone(N, 4), lone(K, 0x1p1023), a, &number),
            SMOE_EOVRFLW); /* dtau = 4 ds: ds is 0.56 2^1023 */
    ck_assert_msg(isfinite(a[N - 1]) && isinf(number), "ds is %a, dtau %a", a[N - 1], number);

    const smoe_xmoe_in far = {SMOE_XMOE_SIGMOID, SMOE_COSINE_RAW,  T,      D, C, N, K, 1, 1,
                              lone(T * D, big),  lone(C * D, big), zeros()};
    const smoe_xmoe_out of_dz = {index,   zeros(), zeros(), zeros(),
                                 zeros(), zeros(), zeros(), {zeros(), zeros(), zeros(), lone(N * C, big)}};
    const smoe_xmoe_grad grad = {a, b, c, &number};
    smoe_xmoe_in with_x = far, with_w = far;
    with_x.w = zeros(), with_w.x = zeros();
    REFUSED(smoe_gate_xmoe_vjp(&with_x, &of_dz, lone(T * K, 4), &grad, work), SMOE_EOVRFLW); /* dw */
    REFUSED(smoe_gate_xmoe_vjp(&with_w, &of_dz, lone(T * K, 4), &grad, work), SMOE_EOVRFLW); /* dx */
    REFUSED(smoe_gate_xmoe(&far, &of_dz), SMOE_EOVRFLW); /* z */

    const smoe_perturbed_kept of_v = {zeros(), zeros(), zeros(), lone(N * D, big)},
                              of_u = {zeros(), lone(T * D, big), zeros(), zeros()};
    REFUSED(smoe_gate_perturbed_vjp(T, D, N, 1, 1, zeros(), zeros(), &of_v, lone(T * N, big), a, b, work),
            SMOE_EOVRFLW);
    REFUSED(smoe_gate_perturbed_vjp(T, D, N, 1, 1, zeros(), zeros(), &of_u, lone(T * N, big), a, b, work),
            SMOE_EOVRFLW);

    REFUSED(smoe_gate_stable(SMOE_STABLE_FROZEN, T, D, N, lone(T * D, big), lone(N * D, big), zeros(), a, token, b, c),
            SMOE_EOVRFLW);
    REFUSED(smoe_gate_stable_vjp(T, D, N, lone(T * D, big), zeros(), zeros(), target, lone(T, 4 * big), a, b, work),
            SMOE_EOVRFLW); /* de */
    REFUSED(smoe_gate_stable_vjp(T, D, N, zeros(), lone(N * D, big), zeros(), target, lone(T, 4 * big), a, b, work),
            SMOE_EOVRFLW); /* dx */

    const smoe_stable_distill_in both = {T, V, M, N, token, target, lone(V * M, big), lone(N * M, big)},
                                 flat = {T, V, M, N, token, target, zeros(), zeros()},
                                 of_ehat = {T, V, M, N, token, target, zeros(), lone(N * M, big)};
    double *lse = lone(T, 800);
    for (size_t t = 0; t < T; t++) lse[t] = 800; /* e^-800 = 0: dshat is -dloss for the target and 0 for the others */
    REFUSED(smoe_stable_distill(&both, a, b, zeros(), &number), SMOE_EOVRFLW);
    REFUSED(smoe_stable_distill_vjp(&of_ehat, zeros(), zeros(), lse, big, a, b, work), SMOE_EOVRFLW); /* dtable */
    REFUSED(smoe_stable_distill_vjp(&flat, lone(T * M, big), zeros(), lse, big, a, b, work), SMOE_EOVRFLW); /* dehat */

    /* S = 3 - 1 - 1 = 1, so the weights are -scale, -scale, 3 scale. */
    REFUSED(smoe_weights_scaled_renorm(3, 3, 0x1.8p1022, (double[]){-1, -1, 3}, (size_t[]){0, 1, 2}, a), SMOE_EOVRFLW);
    ck_assert(a[0] == -0x1.8p1022 && a[1] == -0x1.8p1022);
    REFUSED(smoe_weights_scaled_renorm_vjp(N, K, 1, lone(1, 1 / big), index, lone(K, big), a, b, work), SMOE_EOVRFLW);
    REFUSED(smoe_weights_scaled(N, K, big, lone(N, big), index, a), SMOE_EOVRFLW);
    REFUSED(smoe_weights_scaled_vjp(N, K, big, zeros(), index, lone(K, big), a, b), SMOE_EOVRFLW);

    const smoe_deepseek_in deep = {SMOE_DEEPSEEK_PLAIN, T,      D, N, K, 1, 1, 1, lone(T * D, big),
                                   lone(N * D, big),    zeros()};
    const smoe_deepseek_out out = {index, zeros(), zeros(), zeros(), zeros()};
    smoe_deepseek_in deep_x = deep, deep_e = deep;
    deep_x.e = zeros(), deep_e.x = zeros();
    REFUSED(smoe_gate_deepseek_vjp(&deep_x, &out, lone(T * K, 4 * big), a, b, work), SMOE_EOVRFLW); /* de */
    REFUSED(smoe_gate_deepseek_vjp(&deep_e, &out, lone(T * K, 4 * big), a, b, work), SMOE_EOVRFLW); /* dx */
    REFUSED(smoe_gate_deepseek(&deep, &out, work, group), SMOE_EOVRFLW); /* z */
}
END_TEST

/* The last number of one input is none, or the last index is that of no expert. */
START_TEST(the_last_number_is_refused)
{
    const size_t T = _i ? 5 : 2, C = _i ? 3 : 4, N = _i ? 3 : 5, K = _i ? 3 : 2;
    double *a = zeros(), *b = zeros(), *c = zeros(), *d = zeros(), *work = zeros(), number;
    size_t index[5], off[5] = {0}, fine[5] = {0};
    off[K - 1] = N;
    for (int bad_one = 0; bad_one < 4; bad_one++) {
#define LAST(i, n) lone(n, bad_one == (i) ? NAN : 0)
        const size_t *I = bad_one == 3 ? off : fine;
        REFUSED(smoe_xmoe_softmax_vjp(N, K, 1, I, LAST(0, N), LAST(1, N), LAST(2, K), a, &number, b), SMOE_EDOM);
        if (bad_one != 1) REFUSED(smoe_xmoe_sigmoid_vjp(N, K, 1, I, LAST(0, N), LAST(2, K), a, &number), SMOE_EDOM);
        double *s = LAST(1, N);
        s[0] = 1;
        if (bad_one != 0) {
            REFUSED(smoe_weights_scaled_vjp(N, K, 1, s, I, LAST(2, K), a, b), SMOE_EDOM);
            REFUSED(smoe_weights_scaled_renorm_vjp(N, K, 1, s, I, LAST(2, K), a, b, c), SMOE_EDOM);
        }
        if (bad_one == 1 || bad_one == 3) {
            REFUSED(smoe_weights_scaled(N, K, 1, s, I, a), SMOE_EDOM);
            REFUSED(smoe_weights_scaled_renorm(N, K, 1, s, I, a), SMOE_EDOM);
        }
        if (bad_one > 1) continue;
        const smoe_cosine_in in = {SMOE_COSINE_RAW, T, C, N, 1, LAST(0, T * C), LAST(1, N * C)};
        const smoe_cosine_kept kept = {b, c, d, zeros()};
        REFUSED(smoe_cosine_scores(&in, &kept, a), SMOE_EDOM);
        REFUSED(smoe_cosine_scores_vjp(&in, &kept, zeros(), a, zeros(), work), SMOE_EDOM);
        REFUSED(smoe_unit_vjp(C, 1, LAST(0, C), LAST(1, C), a), SMOE_EDOM);
        REFUSED(smoe_stable_choice(N, LAST(0, N), LAST(1, N), index, a, b), SMOE_EDOM);
#undef LAST
    }
    REFUSED(smoe_xmoe_softmax(N, K, 1, lone(N, NAN), index, a, &number, b, c), SMOE_EDOM);
    REFUSED(smoe_xmoe_sigmoid(N, K, 1, lone(N, NAN), index, a, &number, b), SMOE_EDOM);
    REFUSED(smoe_unit(C, lone(C, NAN), &number, a), SMOE_EDOM);
    REFUSED(smoe_damped(C, 1, lone(C, NAN), &number, a), SMOE_EDOM);
    REFUSED(smoe_damped_vjp(C, 1, lone(C, NAN), 1, zeros(), zeros(), a), SMOE_EDOM);
    REFUSED(smoe_damped_vjp(C, 1, zeros(), 1, lone(C, NAN), zeros(), a), SMOE_EDOM);
    REFUSED(smoe_damped_vjp(C, 1, zeros(), 1, zeros(), lone(C, NAN), a), SMOE_EDOM);
    REFUSED(smoe_stable_choice_vjp(N, lone(N, NAN), 0, 1, a), SMOE_EDOM);
    REFUSED(smoe_cross_entropy(N, lone(N, NAN), 0, &number, a), SMOE_EDOM);
    REFUSED(smoe_cross_entropy_vjp(N, lone(N, NAN), 0, 1, 1, a), SMOE_EDOM);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gate_cosine");
    TCase *hand = tcase_create("by hand"), *slope = tcase_create("gradients"), *property = tcase_create("properties");
    TCase *error = tcase_create("errors");
    tcase_add_test(hand, xmoe_by_hand);
    tcase_add_test(hand, xmoe_forms_by_hand);
    tcase_add_test(hand, perturbed_by_hand);
    tcase_add_test(hand, stable_by_hand);
    tcase_add_test(hand, distill_by_hand);
    tcase_add_test(hand, deepseek_by_hand);
    tcase_add_loop_test(slope, xmoe_gradient, 0, FORMS);
    tcase_add_loop_test(slope, perturbed_gradient, 0, 3);
    tcase_add_test(slope, perturbed_gradient_at_zero);
    tcase_add_test(slope, perturbed_zero_token);
    tcase_add_loop_test(slope, stable_gradient, 0, 2);
    tcase_add_loop_test(slope, distill_gradient, 0, 2);
    tcase_add_loop_test(slope, deepseek_gradient, 0, 4);
    tcase_add_test(property, a_cosine_does_not_see_lengths);
    tcase_add_test(property, xmoe_symmetries);
    tcase_add_test(property, xmoe_corners);
    tcase_add_test(property, two_evaluations_agree);
    tcase_add_test(property, damping);
    tcase_add_test(property, stages);
    tcase_add_test(property, distillation);
    tcase_add_test(property, a_bias_only_chooses);
    tcase_add_test(property, groups);
    tcase_add_test(property, deepseek_corners);
    tcase_add_loop_test(error, vectors_that_are_refused, 0, 3);
    tcase_add_loop_test(error, cosines_that_are_refused, 0, 3);
    tcase_add_loop_test(error, temperatures_that_are_refused, 0, 3);
    tcase_add_loop_test(error, xmoe_refuses, 0, 3);
    tcase_add_loop_test(error, perturbed_refuses, 0, 3);
    tcase_add_loop_test(error, stable_refuses, 0, 3);
    tcase_add_loop_test(error, distill_refuses, 0, 3);
    tcase_add_loop_test(error, scaled_weights_refuse, 0, 3);
    tcase_add_loop_test(error, deepseek_refuses, 0, 3);
    tcase_add_loop_test(error, overflow_of_the_last_number, 0, 2);
    tcase_add_loop_test(error, the_last_number_is_refused, 0, 2);
    suite_add_tcase(s, hand);
    suite_add_tcase(s, slope);
    suite_add_tcase(s, property);
    suite_add_tcase(s, error);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
