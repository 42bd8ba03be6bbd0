/* What `smoeref rates` is made of: distances against closed forms and enclosures, within the errors that they claim;
 * estimators that agree with each other; data that determine nothing. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "convergence.h"
#include "convergence_fit.h"
#include "op.h"
#include "rates.h"
#include "twin_parts.h"

static const smoe_mix_shape one = {.gate = SMOE_MIX_NORM, .expert = SMOE_MIX_LINEAR, .k = 1, .d = 1};
static const smoe_mix_shape two = {.gate = SMOE_MIX_NORM, .expert = SMOE_MIX_LINEAR, .k = 2, .d = 1};

/* --- distances ---------------------------------------------------------------------------------------------------- */

typedef struct {
    double variation, variation_error, square, square_error; /* means over x of V, h^2 and what they claim */
} distance;

static smoe_status distance_of(const smoe_mix_shape *p, const double *theta_p, const smoe_mix_shape *q,
                               const double *theta_q, size_t n, const double *x, distance *d)
{
    enum { MOST = 8 };
    double work[128], V[MOST], square[MOST], error[2 * MOST], hellinger;
    ck_assert(n <= MOST && smoe_mix_distance_work(p, q) <= 128);
    *d = (distance){0, 0, 0, 0};
    const smoe_status status =
        smoe_mix_distance(p, theta_p, q, theta_q, n, x, work, V, square, error, &d->variation, &hellinger);
    for (size_t t = 0; t < n && status == SMOE_OK; t++) {
        d->square += square[t] / (double)n;
        d->variation_error += error[2 * t] / (double)n;
        d->square_error += error[2 * t + 1] / (double)n;
    }
    return status;
}

/* --- closed forms for two Gaussians ------------------------------------------------------------------------------- */

typedef struct {
    long double m, s; /* mean, standard deviation */
} gaussian;

static long double below(gaussian g, long double y) { return erfcl((g.m - y) / g.s / sqrtl(2)) / 2; }

/* The narrower density is the larger one between the roots of  (y-m)^2/s^2 - (y-M)^2/S^2 + 2 ln(s/S) = 0. */
static long double variation_of(gaussian a, gaussian b)
{
    const gaussian p = a.s < b.s ? a : b, q = a.s < b.s ? b : a;
    const long double gap = q.m - p.m;
    if (!(p.s < q.s)) return erfl(fabsl(gap) / p.s / (2 * sqrtl(2)));
    /* with u = y - p.m:  (1/s^2 - 1/S^2) u^2 + 2 gap/S^2 u - gap^2/S^2 + 2 ln(s/S) = 0 */
    const long double A = (q.s - p.s) * (q.s + p.s) / (p.s * p.s * q.s * q.s), B = gap / (q.s * q.s);
    const long double C = -gap * gap / (q.s * q.s) + 2 * log1pl((p.s - q.s) / q.s);
    const long double root = sqrtl(B * B - A * C), far = -(B + copysignl(root, B)), u = far / A, v = C / far;
    const long double lo = p.m + fminl(u, v), hi = p.m + fmaxl(u, v);
    return below(p, hi) - below(p, lo) - (below(q, hi) - below(q, lo));
}

/* h^2 = 1 - sqrt(2 s S/(s^2 + S^2)) exp(-(m - M)^2 / (4 (s^2 + S^2))) */
static long double square_of(gaussian a, gaussian b)
{
    const long double sum = a.s * a.s + b.s * b.s, gap = a.m - b.m;
    return -expm1l(log1pl(-(a.s - b.s) * (a.s - b.s) / sum) / 2 - gap * gap / (4 * sum));
}

static gaussian as_gaussian(const double *theta) { return (gaussian){theta[1], sqrtl(theta[2])}; }

/* Half of the pairs are as near to each other as fits are to the truth, and nearer. */
static void draw_pair(op_rng *r, int i, double *p, double *q)
{
    const double near = i % 2 ? smoe_exp(-14 * op_uniform(r)) : 1;
    p[0] = q[0] = 0;
    p[1] = 6 * op_uniform(r) - 3;
    p[2] = smoe_exp(6 * op_uniform(r) - 3);
    q[1] = p[1] + near * 6 * (op_uniform(r) - 0.5) * sqrt(p[2]);
    q[2] = p[2] * smoe_exp(near * 4 * (op_uniform(r) - 0.5));
}

/* Under Valgrind a tenth of the draws. */
static int draws_of(int all) { return getenv("SMOE_TEST_LIGHT") != NULL ? all / 10 : all; }

START_TEST(the_claimed_error_holds)
{
    op_rng *r = op_rng_new(1, "check_rates/pairs");
    const double x = 0;
    double widest = 0;
    for (int i = 0; i < draws_of(1000); i++) {
        double p[3], q[3];
        distance d;
        draw_pair(r, i, p, q);
        ck_assert_int_eq(distance_of(&one, p, &one, q, 1, &x, &d), SMOE_OK);
        const long double v = variation_of(as_gaussian(p), as_gaussian(q)),
                          h = square_of(as_gaussian(p), as_gaussian(q));
        ck_assert_msg(fabsl((long double)d.variation - v) <= (long double)d.variation_error,
                      "pair %d: V is %.17g, claimed within %.3g, but is off by %.3Lg", i, d.variation,
                      d.variation_error, fabsl((long double)d.variation - v));
        ck_assert_msg(fabsl((long double)d.square - h) <= (long double)d.square_error,
                      "pair %d: h^2 is %.17g, claimed within %.3g, but is off by %.3Lg", i, d.square, d.square_error,
                      fabsl((long double)d.square - h));
        widest = fmax(widest, fmax(d.variation_error, d.square_error));
    }
    op_rng_free(r);
    ck_assert_msg(widest < 1e-10, "a claim of %.3g is of little use", widest); /* or anything would hold */
}
END_TEST

static void draw_mixture(op_rng *r, double *theta)
{
    for (size_t i = 0; i < 2; i++) {
        theta[3 * i] = 2 * op_normal(r);
        theta[3 * i + 1] = 2 * op_normal(r);
        theta[3 * i + 2] = smoe_exp(2 * op_normal(r));
    }
}

START_TEST(inequalities_of_mixtures)
{
    op_rng *r = op_rng_new(1, "check_rates/mixtures");
    for (int i = 0; i < draws_of(200); i++) {
        double p[6], q[6];
        const double x[3] = {-1, 0.25, 0.75};
        distance d, back, self;
        draw_mixture(r, p);
        draw_mixture(r, q);
        ck_assert_int_eq(distance_of(&two, p, &two, q, 3, x, &d), SMOE_OK);
        ck_assert_int_eq(distance_of(&two, q, &two, p, 3, x, &back), SMOE_OK);
        ck_assert_int_eq(distance_of(&two, p, &two, p, 3, x, &self), SMOE_OK);
        ck_assert_double_le(d.square - d.square_error, d.variation + d.variation_error);
        ck_assert_double_le(d.variation - d.variation_error, sqrt(2 * (d.square + d.square_error)));
        ck_assert_double_le(d.variation, 1 + d.variation_error);
        ck_assert_double_le(fabs(d.variation - back.variation), d.variation_error + back.variation_error);
        ck_assert_double_eq(self.variation, 0);
        ck_assert_double_eq(self.square, 0);
    }
    op_rng_free(r);
}
END_TEST

/* Mixtures have no closed form: the quadrature against the twin's enclosures, 1,000 pairs of which are drawn by
 * verify/strength/distance_claims. */
START_TEST(claims_hold_for_mixtures)
{
    const int pairs = getenv("SMOE_TEST_LIGHT") ? 6 : 60;
    op_rng *r = op_rng_new(2, "check_rates/mixtures");
    double at[2][8], work[64], cut[20], V, square, error[2], widest = 0;
    const double x = 0;
    arb_t exact[2];
    arb_ptr balls = _arb_vec_init(12);
    const twin_mixture m[2] = {{2, balls, balls + 2, balls + 4}, {2, balls + 6, balls + 8, balls + 10}};
    arb_init(exact[0]);
    arb_init(exact[1]);
    for (int i = 0; i < pairs; i++) {
        double p[6], q[6];
        draw_mixture(r, p);
        draw_mixture(r, q);
        for (size_t j = 0; j < 6 && i % 2; j++) q[j] = p[j] * (1 + 0.01 * op_normal(r)); /* a fit near the truth */
        ck_assert_int_eq(smoe_mix_at(&two, p, &x, work, at[0], NULL), SMOE_OK);
        ck_assert_int_eq(smoe_mix_at(&two, q, &x, work, at[1], NULL), SMOE_OK);
        ck_assert_int_eq(smoe_mixture_distance(2, at[0], 2, at[1], cut, &V, &square, error), SMOE_OK);
        for (size_t j = 0; j < 12; j++) arb_set_d(balls + j, at[j / 6][j % 6]); /* ln pi, h, nu */
        twin_distance(&m[0], &m[1], 56, exact[0], exact[1]);
        const double value[] = {V, square};
        for (size_t j = 0; j < 2; j++) {
            arb_t near;
            arb_init(near);
            arb_set_d(near, value[j]);
            arb_sub(near, near, exact[j], 128);
            mag_t off;
            mag_init(off);
            arb_get_mag(off, near);
            ck_assert_msg(mag_cmp_2exp_si(off, -1000) < 0 || mag_get_d(off) <= error[j],
                          "pair %d: %s is %.17g, claimed within %.3g, off by up to %.3g", i, j ? "h^2" : "V", value[j],
                          error[j], mag_get_d(off));
            widest = fmax(widest, error[j]);
            mag_clear(off);
            arb_clear(near);
        }
    }
    ck_assert_msg(widest < 1e-9, "a claim of %.3g is of little use", widest);
    arb_clear(exact[0]);
    arb_clear(exact[1]);
    _arb_vec_clear(balls, 12);
    op_rng_free(r);
}
END_TEST

static double middle_of(const arb_t ball) { return arf_get_d(arb_midref(ball), ARF_RND_NEAR); }

/* What a fit's line says against enclosures at the midpoints of 32 parts of [-1,1]: V within its claim, and both within the
 * 2^-40 that (T.8) grants a quadrature. */
START_TEST(fits_are_measured)
{
    rates_plan plan;
    rates_fit fit;
    char text[RATES_TEXT];
    double theta[RATES_PARAMETERS] = {0}, work[64], at[2][8], V = 0, square = 0;
    arb_t exact[2];
    arb_ptr balls = _arb_vec_init(12);
    const twin_mixture m[2] = {{2, balls, balls + 2, balls + 4}, {2, balls + 6, balls + 8, balls + 10}};
    arb_init(exact[0]);
    arb_init(exact[1]);
    ck_assert(rates_plan_start(&plan, "exact") && rates_plan_sizes(&plan, "100,200") == NULL);
    plan.repeats = 2;
    ck_assert_ptr_null(rates_plan_finish(&plan, text));
    const rates_series *s = &plan.series[_i];
    rates_truth(s, theta);
    rates_run(&plan, (size_t)_i * plan.sizes * plan.repeats, &fit);
    ck_assert_int_eq(fit.status, FIT_CONVERGED);
    for (int i = 0; i < 32; i++) {
        const double x = (2 * i + 1) / 32.0 - 1;
        ck_assert_int_eq(smoe_mix_at(&s->fitted, fit.theta, &x, work, at[0], NULL), SMOE_OK);
        ck_assert_int_eq(smoe_mix_at(&s->truth, theta, &x, work, at[1], NULL), SMOE_OK);
        for (size_t j = 0; j < 12; j++) arb_set_d(balls + j, at[j / 6][j % 6]); /* ln pi, h, nu */
        twin_distance(&m[0], &m[1], 56, exact[0], exact[1]);
        V += middle_of(exact[0]) / 32;
        square += middle_of(exact[1]) / 32;
    }
    ck_assert_msg(fabs(fit.variation - V) <= fit.variation_error && fit.variation_error < 0x1p-40 && V > 0.01,
                  "%s: V is %.17g within %.3g, but is %.17g", s->name, fit.variation, fit.variation_error, V);
    ck_assert_msg(fabs(fit.hellinger - sqrt(square)) <= 0x1p-40, "%s: h is %.17g, but is %.17g", s->name, fit.hellinger,
                  sqrt(square));
    arb_clear(exact[0]);
    arb_clear(exact[1]);
    _arb_vec_clear(balls, 12);
}
END_TEST

/* --- estimators --------------------------------------------------------------------------------------------------- */

enum { N = 600 };
static const double truth[6] = {1.5, 1, 0.25, -1, -1, 0.16};

static void draw_data(double *x, double *y, size_t *label)
{
    double u[N], z[N], work[64];
    op_rng *r = op_rng_new(1, "check_rates/data");
    for (size_t t = 0; t < N; t++) {
        x[t] = 2 * op_uniform(r) - 1;
        u[t] = op_uniform(r);
        z[t] = op_normal(r);
    }
    op_rng_free(r);
    ck_assert_int_eq(smoe_mix_sample(&two, N, truth, x, u, z, work, label, NULL, y), SMOE_OK);
}

/* The same maximum by two ways, above the truth and above what knows the labels: n L differs by less than 0.001. */
START_TEST(two_ways_to_one_maximum)
{
    double x[N], y[N], bfgs[6], em[6], oracle[6], at_truth, work[64];
    size_t label[N];
    const fit_options o = fit_defaults();
    draw_data(x, y, label);
    const fit_result a = fit_likelihood(&two, N, x, y, 1, truth, &o, bfgs);
    const fit_result b = fit_em(&two, N, x, y, 1, truth, &o, em);
    const fit_result c = fit_oracle(&two, N, x, y, label, truth, oracle);
    ck_assert_int_eq(smoe_mix_loglik(&two, N, truth, x, y, work, &at_truth), SMOE_OK);
    ck_assert_int_eq(a.status, FIT_CONVERGED);
    ck_assert_int_eq(b.status, FIT_CONVERGED);
    ck_assert_int_eq(c.status, FIT_CONVERGED);
    ck_assert_msg(N * fabs(a.loglik - b.loglik) < 1e-3, "BFGS %.9f and EM %.9f", N * a.loglik, N * b.loglik);
    ck_assert_double_gt(a.loglik, at_truth);
    ck_assert_double_gt(a.loglik, c.loglik);
    for (size_t j = 0; j < 6; j++) {
        ck_assert_double_le(fabs(bfgs[j] - em[j]), 0.005);
        ck_assert_double_le(fabs(bfgs[j] - truth[j]), 0.3); /* some 5 standard errors */
    }
}
END_TEST

/* From the oracle's fit the score of BFGS's maximum is small in its own units: a start elsewhere ends at the same place. */
START_TEST(starts_do_not_matter)
{
    double x[N], y[N], first[6], second[6];
    size_t label[N];
    const double start[12] = {1, 0.5, 1, -0.5, -0.5, 1, 1.5, 1, 0.25, -1, -1, 0.16};
    const fit_options o = fit_defaults();
    draw_data(x, y, label);
    const fit_result a = fit_likelihood(&two, N, x, y, 1, start, &o, first);
    const fit_result b = fit_likelihood(&two, N, x, y, 2, start, &o, second);
    ck_assert_int_eq(a.status, FIT_CONVERGED);
    ck_assert_int_eq(b.status, FIT_CONVERGED);
    ck_assert_double_ge(b.loglik, a.loglik);
    ck_assert_double_le(N * (b.loglik - a.loglik), 1e-3);
    ck_assert_uint_gt(b.evaluations, a.evaluations);
}
END_TEST

START_TEST(data_that_determine_nothing)
{
    double x[N], y[N], theta[6] = {7, 7, 7, 7, 7, 7}, constant[N], line[N];
    size_t label[N], none[N] = {0};
    const fit_options o = fit_defaults();
    draw_data(x, y, label);
    for (size_t t = 0; t < N; t++) {
        constant[t] = 0.5;
        line[t] = 1.5 * x[t] + 1; /* no noise */
    }
    ck_assert_int_eq(fit_likelihood(&two, N, constant, y, 1, truth, &o, theta).status, FIT_UNDEFINED);
    ck_assert_int_eq(fit_em(&two, N, constant, y, 1, truth, &o, theta).status, FIT_UNDEFINED);
    ck_assert_int_eq(fit_oracle(&two, N, constant, y, label, truth, theta).status, FIT_UNDEFINED);
    ck_assert_int_eq(fit_likelihood(&two, 6, x, y, 1, truth, &o, theta).status, FIT_UNDEFINED);
    ck_assert_int_eq(fit_em(&two, 6, x, y, 1, truth, &o, theta).status, FIT_UNDEFINED);
    ck_assert_int_eq(fit_oracle(&two, N, x, y, none, truth, theta).status, FIT_UNDEFINED);
    ck_assert_int_ne(fit_likelihood(&two, N, x, line, 1, truth, &o, theta).status, FIT_CONVERGED);
    ck_assert_int_ne(fit_em(&two, N, x, line, 1, truth, &o, theta).status, FIT_CONVERGED);
    for (size_t j = 0; j < 6; j++) ck_assert_double_eq(theta[j], 7); /* a failed fit writes nothing */
}
END_TEST

/* No estimator fits a variance to outcomes that have none. */
START_TEST(one_outcome)
{
    double x[N], y[N], theta[6];
    size_t label[N];
    const fit_options o = fit_defaults();
    draw_data(x, y, label);
    for (size_t t = 0; t < N; t++) y[t] = 0.5;
    ck_assert_int_eq(fit_likelihood(&two, N, x, y, 1, truth, &o, theta).status, FIT_COLLAPSED);
    ck_assert_int_eq(fit_em(&two, N, x, y, 1, truth, &o, theta).status, FIT_COLLAPSED);
    ck_assert_int_eq(fit_oracle(&two, N, x, y, label, truth, theta).status, FIT_UNDEFINED);
}
END_TEST

/* Two atoms that start at one place: the information is singular, yet what converges is a number, and so are its
 * distance from the truth and its loss. */
START_TEST(atoms_that_coincide)
{
    static const size_t width[3] = {1, 1, 1};
    static const double power[3] = {2, 2, 2}, times[3] = {0, 0, 0}, beta0[2] = {0, 0};
    double x[N], y[N], theta[6], work[4], loss;
    size_t label[N], cell[2];
    distance d;
    const double start[6] = {0.5, 0, 1, 0.5, 0, 1};
    const fit_options o = fit_defaults();
    draw_data(x, y, label);
    for (int em = 0; em <= 1; em++) {
        const fit_result r =
            em ? fit_em(&two, N, x, y, 1, start, &o, theta) : fit_likelihood(&two, N, x, y, 1, start, &o, theta);
        if (r.status != FIT_CONVERGED) continue;
        ck_assert(isfinite(r.loglik) && smoe_all_finite(6, theta));
        ck_assert_int_eq(distance_of(&two, theta, &two, truth, 1, x, &d), SMOE_OK);
        ck_assert_int_eq(smoe_voronoi_cells(2, 2, 3, theta, truth, work, cell, NULL), SMOE_OK);
        ck_assert_int_eq(
            smoe_voronoi_over(2, 2, 3, theta, truth, beta0, beta0, cell, 3, width, power, times, work, &loss), SMOE_OK);
        ck_assert(isfinite(d.variation + d.variation_error + d.square + loss));
    }
    ck_assert_int_eq(fit_em(&two, N, x, y, 1, start, &o, theta).status, FIT_CONVERGED);
    for (size_t j = 0; j < 3; j++) ck_assert_double_eq(theta[j], theta[3 + j]); /* a step of EM keeps them together */
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rates");
    TCase *c = tcase_create("distances"), *e = tcase_create("estimators");
    tcase_set_timeout(c, 600);
    tcase_set_timeout(e, 600);
    tcase_add_test(c, the_claimed_error_holds);
    tcase_add_test(c, inequalities_of_mixtures);
    tcase_add_test(c, claims_hold_for_mixtures);
    tcase_add_loop_test(c, fits_are_measured, 0, getenv("SMOE_TEST_LIGHT") ? 1 : 3);
    tcase_add_test(e, two_ways_to_one_maximum);
    tcase_add_test(e, starts_do_not_matter);
    tcase_add_test(e, data_that_determine_nothing);
    tcase_add_test(e, one_outcome);
    tcase_add_test(e, atoms_that_coincide);
    suite_add_tcase(s, c);
    suite_add_tcase(s, e);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
