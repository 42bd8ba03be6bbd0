/* Mixtures gated by competition, spec/08-convergence.md: hand-computed values, gradients by two methods, Hessian
 * products by two, sampling, distances, Voronoi losses, estimators, identifiability, errors. */
#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convergence.h"
#include "slopes.h"

/* Within `ulps` units of the last place of `want`; false for NaN. */
static bool near(double got, double want, double ulps) { return fabs(got - want) <= ulps * 0x1p-52 * fabs(want); }

#define SAME(got, want, n, what)                                                                                       \
    for (size_t same_k = 0; same_k < (n); same_k++)                                                                    \
    ck_assert_msg((got)[same_k] == (want)[same_k], "%s[%zu] is %a, by hand it is %a", what, same_k, (got)[same_k],     \
                  (want)[same_k])

#define NEAR(got, want, ulps, what)                                                                                    \
    ck_assert_msg(near(got, want, ulps), "%s is %.17g, by hand it is %.17g", what, (double)(got), (double)(want))

#define OK(call) ck_assert_int_eq(call, SMOE_OK)

/* Outputs are filled with this before a call that must write nothing. */
static const double poison = -0x1.234p+567;

static void poison_all(size_t n, double *x)
{
    for (size_t k = 0; k < n; k++) x[k] = poison;
}

static bool untouched(size_t n, const double *x)
{
    for (size_t k = 0; k < n; k++)
        if (x[k] != poison) return false;
    return true;
}

/* --- gradients --- */

/* Every gate, with and without free weights, every expert, all atoms or two of three: 64 models. */
enum { SHAPES = 64, SAMPLES = 5, MOST = 128 };

static smoe_mix_shape shape_of(int number)
{
    smoe_mix_shape shape = {.gate = (smoe_mix_gate)(number & 3), .expert = (smoe_mix_expert)(number >> 2 & 3)};
    shape.free_weights = number >> 4 & 1;
    shape.topk = number >> 5 & 1 ? 2 : 0;
    shape.k = 3;
    shape.d = 2;
    shape.H = shape.expert == SMOE_MIX_LINEAR ? 0 : 2;
    return shape;
}

static const char *name_of(const smoe_mix_shape *s)
{
    static char name[100];
    static const char *const gate[] = {"norm", "softplus", "softplus-softmax", "softmax"};
    static const char *const expert[] = {"linear", "tanh", "gelu", "sigmoid"};
    snprintf(name, sizeof name, "%s gate%s, %s experts, top %zu", gate[s->gate],
             s->free_weights ? " with free weights" : "", expert[s->expert], s->topk);
    return name;
}

typedef struct {
    smoe_mix_shape shape;
    size_t n; /* samples; all numbers are theta, x, y */
    double dloglik;
} problem;

static size_t numbers(const problem *q) { return smoe_mix_parameters(&q->shape) + q->n * (q->shape.d + 1); }

/* Parameters of order one, variances from 1/2 to 3/2. */
static problem problem_of(int number, uint64_t seed, double *theta)
{
    problem q = {.shape = shape_of(number), .n = SAMPLES, .dloglik = 0};
    ck_assert_msg(numbers(&q) <= MOST && smoe_mix_work(&q.shape) <= MOST, "MOST is too small");
    seed = 1000 * seed + (uint64_t)number;
    q.dloglik = 1 + slopes_draw(&seed) / 2;
    slopes_fill(&seed, 1.5, numbers(&q), theta);
    for (size_t i = 0; i < q.shape.k; i++)
        theta[i * smoe_mix_stride(&q.shape) + smoe_mix_variance_at(&q.shape)] = 1 + slopes_draw(&seed) / 2;
    return q;
}

static long double activate(smoe_mix_expert expert, long double z)
{
    switch (expert) {
    case SMOE_MIX_TANH: return tanhl(z);
    case SMOE_MIX_GELU: return z / 2 * erfcl(-z / sqrtl(2));
    case SMOE_MIX_SIGMOID: return 1 / (1 + expl(-z));
    default: return z;
    }
}

static long double exact_mean(const smoe_mix_shape *s, const long double *eta, const long double *x)
{
    const size_t units = s->expert == SMOE_MIX_LINEAR ? 1 : s->H;
    long double h = 0;
    for (size_t m = 0; m < units; m++) {
        long double z = eta[units * s->d + m];
        for (size_t l = 0; l < s->d; l++) z += eta[m * s->d + l] * x[l];
        h += s->expert == SMOE_MIX_LINEAR ? z : eta[units * (s->d + 1) + m] * activate(s->expert, z);
    }
    return s->expert == SMOE_MIX_LINEAR ? h : h + eta[units * (s->d + 2)];
}

/* Weight before the normalisation, and the score that competes. */
static long double exact_weight(const smoe_mix_shape *s, const long double *atom, const long double *x, long double h,
                                long double *score)
{
    const long double *rest = atom + smoe_mix_expert_size(s) + 1, free_weight = s->free_weights ? expl(*rest) : 1;
    long double slope = 0;
    if (s->gate == SMOE_MIX_SOFTMAX)
        for (size_t l = 0; l < s->d; l++) slope += rest[(s->free_weights ? 1 : 0) + l] * x[l];
    const long double plus = logl(1 + expl(h));
    *score = s->gate == SMOE_MIX_NORM ? fabsl(h) : s->gate == SMOE_MIX_SOFTMAX ? slope : plus;
    return free_weight * (s->gate == SMOE_MIX_SOFTPLUS ? plus : expl(*score));
}

/* p(y|x) by the formula as it stands, nothing stabilised. */
static long double exact_density(const smoe_mix_shape *s, const long double *theta, const long double *x,
                                 long double y)
{
    long double h[3], weight[3], score[3], sum = 0, p = 0;
    const size_t stride = smoe_mix_stride(s);
    for (size_t i = 0; i < s->k; i++) {
        h[i] = exact_mean(s, theta + i * stride, x);
        weight[i] = exact_weight(s, theta + i * stride, x, h[i], &score[i]);
    }
    for (size_t i = 0; i < s->k; i++) {
        size_t better = 0;
        for (size_t j = 0; j < s->k; j++) better += score[j] > score[i];
        if (s->topk > 0 && better >= s->topk) continue;
        const long double nu = theta[i * stride + smoe_mix_expert_size(s)];
        sum += weight[i];
        p += weight[i] * expl(-(y - h[i]) * (y - h[i]) / (2 * nu)) / sqrtl(2 * acosl(-1) * nu);
    }
    return p / sum;
}

static long double exact(const void *test, const long double *theta)
{
    const problem *q = test;
    const long double *x = theta + smoe_mix_parameters(&q->shape), *y = x + q->n * q->shape.d;
    long double sum = 0;
    for (size_t t = 0; t < q->n; t++) sum += logl(exact_density(&q->shape, theta, x + t * q->shape.d, y[t]));
    return q->dloglik * sum / (long double)q->n;
}

static double library(const void *test, const double *theta)
{
    const problem *q = test;
    const double *x = theta + smoe_mix_parameters(&q->shape), *y = x + q->n * q->shape.d;
    double work[MOST], loglik;
    OK(smoe_mix_loglik(&q->shape, q->n, theta, x, y, work, &loglik));
    return q->dloglik * loglik;
}

static void gradient(const problem *q, const double *theta, double *g)
{
    const size_t P = smoe_mix_parameters(&q->shape), xs = q->n * q->shape.d;
    double work[MOST];
    OK(smoe_mix_loglik_vjp(&q->shape, q->n, theta, theta + P, theta + P + xs, q->dloglik, work, g, g + P, g + P + xs));
}

/* evidence gradient: T.1 T.2 T.3 T.4 T.5 */
START_TEST(gradient_is_the_slope)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        double theta[MOST], g[MOST];
        const problem q = problem_of(_i, seed, theta);
        gradient(&q, theta, g);
        const double order = slopes_order(numbers(&q), theta, g, exact, &q, seed);
        const double off = slopes_adjoint(numbers(&q), theta, g, library, &q, 0, numbers(&q), seed);
        ck_assert_msg(order > (slopes_narrow() ? 1.4 : 1.8), "%s: Taylor remainder falls with order %.3f, not 2",
                      name_of(&q.shape), order);
        ck_assert_msg(off <= 1e-8, "%s: <dloglik, J v> and <g, v> differ by %.1e", name_of(&q.shape), off);
    }
}
END_TEST

/* Negative control: the largest entry off by 1/100. */
START_TEST(a_wrong_gradient_is_seen)
{
    double theta[MOST], g[MOST];
    const problem q = problem_of(_i, 1, theta);
    size_t largest = 0;
    gradient(&q, theta, g);
    for (size_t j = 0; j < numbers(&q); j++)
        if (fabs(g[j]) > fabs(g[largest])) largest = j;
    g[largest] *= 1.01;
    ck_assert_msg(slopes_order(numbers(&q), theta, g, exact, &q, 1) < 1.5, "Taylor accepts a wrong gradient");
    ck_assert_msg(slopes_adjoint(numbers(&q), theta, g, library, &q, 0, numbers(&q), 1) > 1e-6, "adjoint accepts it");
}
END_TEST

static void hvp(const problem *q, const double *theta, const double *v, double *Hv)
{
    const size_t P = smoe_mix_parameters(&q->shape);
    double work[MOST];
    OK(smoe_mix_hvp(&q->shape, q->n, theta, v, theta + P, theta + P + q->n * q->shape.d, work, Hv));
}

/* Three checks of H v: differences of the library's own gradients; <w, H v> = <v, H w>; and, in extended precision on
 * the formula, L(theta + e v) - L - e <g,v> - e^2/2 <v, H v>, which falls like e^3 if H is the second derivative. */
/* evidence gradient: T.6 */
START_TEST(hessian_is_the_slope_of_the_score)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        double theta[MOST], moved[MOST], g[MOST], up[MOST], down[MOST], v[MOST] = {0}, w[MOST] = {0}, Hv[MOST], Hw[MOST];
        problem q = problem_of(_i, seed, theta);
        const size_t P = smoe_mix_parameters(&q.shape);
        q.dloglik = 1;
        uint64_t state = seed;
        slopes_fill(&state, 1, P, v);
        slopes_fill(&state, 1, P, w);
        gradient(&q, theta, g);
        hvp(&q, theta, v, Hv);
        hvp(&q, theta, w, Hw);
        memcpy(moved, theta, sizeof moved);
        for (size_t j = 0; j < P; j++) moved[j] = theta[j] + 0x1p-17 * v[j];
        gradient(&q, moved, up);
        for (size_t j = 0; j < P; j++) moved[j] = theta[j] - 0x1p-17 * v[j];
        gradient(&q, moved, down);
        double size = 0, off = 0, vHw = 0, wHv = 0, slope = 0, curve = 0;
        for (size_t j = 0; j < P; j++) {
            off = fmax(off, fabs((up[j] - down[j]) * 0x1p16 - Hv[j]));
            size = fmax(size, fabs(Hv[j]));
            vHw += v[j] * Hw[j];
            wHv += w[j] * Hv[j];
            slope += g[j] * v[j];
            curve += v[j] * Hv[j];
        }
        ck_assert_msg(off <= 1e-8 * (1 + size), "T.6, %s: H v and the gradients' difference are %.1e apart",
                      name_of(&q.shape), off);
        ck_assert_msg(fabs(vHw - wHv) <= 1e-13 * (1 + size), "T.6, %s: <v, H w> = %.17g, <w, H v> = %.17g",
                      name_of(&q.shape), vHw, wHv);
        long double R[2], L0, at[MOST];
        for (size_t j = 0; j < numbers(&q); j++) at[j] = theta[j];
        L0 = exact(&q, at);
        for (int i = 0; i < 2; i++) {
            const long double e = i == 0 ? 0x1p-9L : 0x1p-13L;
            for (size_t j = 0; j < P; j++) at[j] = theta[j] + e * v[j];
            R[i] = fabsl(exact(&q, at) - L0 - e * slope - e * e / 2 * curve);
        }
        const double order = (double)(log2l(R[0] / R[1]) / 4);
        ck_assert_msg(order > 2.7 || slopes_narrow(), "T.6, %s: third-order remainder falls with order %.3f",
                      name_of(&q.shape), order);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("convergence");
    TCase *hand = tcase_create("by hand"), *slope = tcase_create("gradients"), *property = tcase_create("properties");
    TCase *error = tcase_create("errors");
    tcase_add_loop_test(slope, gradient_is_the_slope, 0, SHAPES);
    tcase_add_loop_test(slope, a_wrong_gradient_is_seen, 0, SHAPES);
    tcase_add_loop_test(slope, hessian_is_the_slope_of_the_score, 0, SHAPES);
    suite_add_tcase(s, hand);
    suite_add_tcase(s, slope);
    suite_add_tcase(s, property);
    suite_add_tcase(s, error);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
