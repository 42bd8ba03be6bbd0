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

#define SAME_INDEX(got, want, n, what)                                                                                 \
    for (size_t same_k = 0; same_k < (n); same_k++)                                                                    \
    ck_assert_msg((got)[same_k] == (want)[same_k], "%s[%zu] is %zu, by hand it is %zu", what, same_k, (got)[same_k],   \
                  (want)[same_k])

#define NEAR(got, want, ulps, what)                                                                                    \
    ck_assert_msg(near(got, want, ulps), "%s is %.17g, by hand it is %.17g", what, (double)(got), (double)(want))

#define OK(call) ck_assert_int_eq(call, SMOE_OK)

/* Outputs are filled with this before a call that must write nothing. */
static const double poison = -0x1.234p+567;

/* Under Valgrind (SMOE_TEST_LIGHT) samples are smaller, gradients are checked at one point of each shape, and what integrates
 * densities, which are the same code for all shapes, takes every fifth shape. */
static bool light(void) { return getenv("SMOE_TEST_LIGHT") != NULL; }
static int shapes_to_integrate(int all) { return light() ? (all + 4) / 5 : all; }
static int shape_to_integrate(int i) { return light() ? 5 * i : i; }

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

/* --- hand-computed values --- */

static const smoe_mix_shape norm1 = {.gate = SMOE_MIX_NORM, .k = 2, .d = 1}; /* two linear atoms (a, b, nu), d = 1 */

/* a = (1,-2), b = 1/2 at (3,1): 3/2; for dh = 2: da = (6,2), db = 2, dx = (2,-4).  4 sigmoid(ln 3 x) + 1 at x = 1: 4;
 * dv = 3/4, dz = 4 * 3/16 = 3/4. */
/* evidence hand: T.1 */
START_TEST(experts_by_hand)
{
    const smoe_mix_shape linear = {.k = 1, .d = 2}, hidden = {.expert = SMOE_MIX_SIGMOID, .k = 1, .d = 1, .H = 1};
    const double ln3 = 0x1.193ea7aad030bp+0, eta[] = {1, -2, 0.5}, x[] = {3, 1}, deep[] = {ln3, 0, 4, 1}, one = 1;
    double h, work[4], deta[4], dx[2];
    OK(smoe_mix_mean(&linear, eta, x, work, &h));
    ck_assert_msg(h == 1.5, "T.1: h is %a, by hand 3/2", h);
    OK(smoe_mix_mean_vjp(&linear, eta, x, 2, deta, dx));
    SAME(deta, ((double[]){6, 2, 2}), 3, "T.1 deta");
    SAME(dx, ((double[]){2, -4}), 2, "T.1 dx");
    OK(smoe_mix_mean(&hidden, deep, &one, work, &h));
    NEAR(h, 4, 2, "T.1 h, hidden");
    OK(smoe_mix_mean_vjp(&hidden, deep, &one, 1, deta, dx));
    NEAR(deta[0], 0.75, 4, "T.1 dw");
    NEAR(deta[1], 0.75, 4, "T.1 dc");
    NEAR(deta[2], 0.75, 4, "T.1 dv");
    ck_assert_msg(deta[3] == 1, "T.1: db is %a, by hand 1", deta[3]);
    NEAR(dx[0], 0.75 * ln3, 4, "T.1 dx, hidden");
}
END_TEST

/* h = (ln 3, -ln 2): norm 3 : 2, softplus ln 4 : ln 3/2, softmax of softplus 4 : 3/2; beta0 = (0, ln 3): 3 : 6; top 1
 * then takes atom 0, whose score is the larger one before the free weight. */
/* evidence hand: T.2 */
START_TEST(gates_by_hand)
{
    const double ln3 = 0x1.193ea7aad030bp+0, ln2 = 0x1.62e42fefa39efp-1, x = 0;
    const double theta[] = {0, ln3, 1, 0, -ln2, 1}, free_theta[] = {0, ln3, 1, 0, 0, -ln2, 1, ln3};
    smoe_mix_shape shape = norm1;
    double pi[2], work[40], margin;
    OK(smoe_mix_weights(&shape, theta, &x, work, pi, &margin));
    NEAR(pi[0], 0.6, 4, "T.2 norm pi_0");
    NEAR(pi[1], 0.4, 4, "T.2 norm pi_1");
    ck_assert_msg(margin == INFINITY, "T.2: the margin of all atoms is %g", margin);
    shape.gate = SMOE_MIX_SOFTPLUS;
    OK(smoe_mix_weights(&shape, theta, &x, work, pi, NULL));
    NEAR(pi[0], 0.7737056144690831737, 4, "T.2 softplus pi_0");
    shape.gate = SMOE_MIX_SOFTPLUS_SOFTMAX;
    OK(smoe_mix_weights(&shape, theta, &x, work, pi, NULL));
    NEAR(pi[0], 8.0 / 11, 4, "T.2 softplus-softmax pi_0");
    shape = norm1;
    shape.free_weights = true;
    OK(smoe_mix_weights(&shape, free_theta, &x, work, pi, NULL));
    NEAR(pi[0], 1.0 / 3, 4, "T.2 free pi_0");
    shape.topk = 1;
    OK(smoe_mix_weights(&shape, free_theta, &x, work, pi, &margin));
    SAME(pi, ((double[]){1, 0}), 2, "T.2 top 1");
    NEAR(margin, ln3 - ln2, 1, "T.2 margin");
    /* equal scores: the lower index is taken, at a margin of 0 */
    OK(smoe_mix_weights(&shape, ((double[]){0, 3, 1, 0, 0, -3, 1, 0}), &x, work, pi, &margin));
    SAME(pi, ((double[]){1, 0}), 2, "T.2 tie");
    ck_assert_msg(margin == 0, "T.2: the margin of a tie is %g", margin);
    ck_assert_msg(smoe_mix_score_deriv(SMOE_MIX_NORM, 0) == 0 && smoe_mix_score_deriv(SMOE_MIX_NORM, -1e-300) == -1,
                  "T.2: |h| has slope 0 at 0 and -1 below");
}
END_TEST

/* Two below the mean by variance 4: -ln(2 pi)/2 - ln 2 - 1/2 */
/* evidence hand: T.3 */
START_TEST(normal_by_hand) { NEAR(smoe_normal_log_density(3, 1, 4), -2.112085713764618051, 2, "T.3"); }
END_TEST

/* Atoms y = x and y = -x with variance 1 at x = 1, y = 1: weights 1/2, residuals 0 and 2,
 * ln p = -ln 2 - ln(2 pi)/2 + ln(1 + e^-2);  q_1 = sigma(-2);  dh = (q_0 - 1/2, 1/2 + q_1),
 * dnu = (-q_0/2, 3 q_1/2), dy = -2 q_1 */
/* evidence hand: T.4 */
START_TEST(density_by_hand)
{
    const double theta[] = {1, 0, 1, -1, 0, 1}, x = 1, q1 = 0.1192029220221175559, q0 = 0.8807970779778824441;
    double work[40], logp, d[6], dx, dy, at[8];
    OK(smoe_mix_log_density(&norm1, theta, &x, 1, work, &logp));
    NEAR(logp, -1.485157702721645554, 4, "T.4 ln p");
    OK(smoe_mix_log_density_vjp(&norm1, theta, &x, 1, 1, work, d, &dx, &dy));
    const double want[] = {q0 - 0.5, q0 - 0.5, -q0 / 2, 0.5 + q1, 0.5 + q1, 1.5 * q1};
    for (size_t j = 0; j < 6; j++) NEAR(d[j], want[j], 8, "T.4 dtheta");
    NEAR(dy, -2 * q1, 8, "T.4 dy");
    NEAR(dx, (q0 - 0.5) - (0.5 + q1), 8, "T.4 dx");
    OK(smoe_mix_at(&norm1, theta, &x, work, at, NULL));
    NEAR(smoe_mixture_log_density(2, at, 1), -1.485157702721645554, 4, "T.4 from the mixture at x");
}
END_TEST

/* The samples (1,1) and (1,-1) of that model mirror each other. */
/* evidence hand: T.5 */
START_TEST(loglik_by_hand)
{
    const double theta[] = {1, 0, 1, -1, 0, 1}, x[] = {1, 1}, y[] = {1, -1}, q1 = 0.1192029220221175559;
    double work[40], loglik, s[6];
    OK(smoe_mix_loglik_score(&norm1, 2, theta, x, y, work, &loglik, s));
    NEAR(loglik, -1.485157702721645554, 4, "T.5");
    const double want[] = {-q1, -q1, -0.1307970779778824441, q1, q1, -0.1307970779778824441};
    for (size_t j = 0; j < 6; j++) NEAR(s[j], want[j], 16, "T.5 score");
}
END_TEST

/* At x = 1, y = 0: q = pi = 1/2, r = (-1, 1).  v along b_0: everything by hand in spec (T.6). */
/* evidence hand: T.6 */
START_TEST(hvp_by_hand)
{
    const double theta[] = {1, 0, 1, -1, 0, 1}, x = 1, y = 0, v[] = {0, 1, 0, 0, 0, 0};
    double work[40], Hv[6];
    OK(smoe_mix_hvp(&norm1, 1, theta, v, &x, &y, work, Hv));
    SAME(Hv, ((double[]){-0.75, -0.75, 0.5, -0.25, -0.25, 0}), 6, "T.6 Hv");
}
END_TEST

/* Weights (1/4, 3/4); atom 1 has mean 5 and variance 4: 5 + 2 (-1/2) = 4. */
/* evidence hand: T.7 */
START_TEST(sample_by_hand)
{
    const smoe_mix_shape shape = {.gate = SMOE_MIX_SOFTMAX, .free_weights = true, .k = 2, .d = 1};
    const double theta[] = {0, 1, 1, 0, 0, 0, 5, 4, 0x1.193ea7aad030bp+0, 0}, x[] = {0, 0, 0, 0};
    const double u[] = {0.2, 0.3, 0.9, 0}, z[] = {1, -0.5, 2, 0};
    double work[40], margin[4], y[4];
    size_t label[4];
    OK(smoe_mix_sample(&shape, 4, theta, x, u, z, work, label, margin, y));
    SAME_INDEX(label, ((size_t[]){0, 1, 1, 0}), 4, "T.7 label");
    SAME(y, ((double[]){2, 4, 9, 1}), 4, "T.7 y");
    for (size_t t = 0; t < 4; t++) NEAR(margin[t], ((double[]){0.05, 0.05, 0.65, 0.25})[t], 32, "T.7 margin");
    const double level[] = {0, 2, 1, 0, -2, 1}, half[] = {0.5};
    OK(smoe_mix_sample(&norm1, 1, level, x, half, z, work, label, margin, y)); /* weights 1/2: u = 1/2 is label 1 */
    ck_assert_msg(label[0] == 1 && y[0] == -1 && margin[0] == 0, "T.7: u on a boundary gives label %zu", label[0]);
    const smoe_mix_shape ten = {.gate = SMOE_MIX_NORM, .k = 10, .d = 1};
    double equal[30], more[200]; /* ten weights of 0.1 add up to 1 - 2^-53: no u is beyond the last */
    for (size_t i = 0; i < 10; i++) equal[3 * i] = 0, equal[3 * i + 1] = i < 9 ? 1 : -1, equal[3 * i + 2] = 1;
    OK(smoe_mix_sample(&ten, 1, equal, x, ((double[]){0x1.fffffffffffffp-1}), z, more, label, margin, y));
    ck_assert_msg(label[0] == 9 && y[0] == 0, "T.7: u = 1 - 2^-53 gives label %zu", label[0]);
}
END_TEST

/* Simpson's rule on 4000 intervals; V in two pieces if it has a kink at `kink`. */
static double simpson(const double *p, size_t kp, const double *q, size_t kq, bool hellinger, double lo, double hi)
{
    double sum = 0;
    for (int j = 0; j <= 4000; j++) {
        const double y = lo + (hi - lo) * j / 4000;
        const double lp = smoe_mixture_log_density(kp, p, y), lq = smoe_mixture_log_density(kq, q, y);
        const double f = hellinger ? smoe_hellinger_integrand(lp, lq) : smoe_total_variation_integrand(lp, lq);
        sum += f * (j == 0 || j == 4000 ? 1 : j % 2 ? 4 : 2);
    }
    return sum * (hi - lo) / 12000;
}

/* Variance 1 at a distance 2: V = 2 Phi(1) - 1, h^2 = 1 - e^-1/2; at the first mean phi(0)(1 - e^-2)/2 and
 * phi(0)(1 - 1/e)^2/2; outside 3 deviations 2 Phi(-3). */
/* evidence hand: T.8 */
START_TEST(distances_by_hand)
{
    const double p[] = {0, 0, 1, -0.91893853320467274178}, q[] = {0, 2, 1, -0.91893853320467274178};
    const double lp = smoe_mixture_log_density(1, p, 0), lq = smoe_mixture_log_density(1, q, 0);
    double lo, hi;
    NEAR(smoe_total_variation_integrand(lp, lq), 0.1724756569441223130, 8, "T.8 V'");
    NEAR(smoe_hellinger_integrand(lp, lq), 0.0797039602835704651, 8, "T.8 h^2'");
    ck_assert_msg(fabs(simpson(p, 1, q, 1, false, -9, 1) + simpson(p, 1, q, 1, false, 1, 11) - 0.6826894921370859) <
                      1e-11,
                  "T.8: V is not 2 Phi(1) - 1");
    ck_assert_msg(fabs(simpson(p, 1, q, 1, true, -9, 11) - 0.3934693402873666) < 1e-11, "T.8: h^2 is not 1 - e^-1/2");
    smoe_mixture_interval(1, p, 3, &lo, &hi);
    ck_assert_msg(lo == -3 && hi == 3, "T.8: the interval is [%g, %g], by hand [-3, 3]", lo, hi);
    NEAR(smoe_mixture_outside(1, p, lo, hi), 0.00269979606326018905, 8, "T.8 outside");
}
END_TEST

/* One Gaussian each, N(0, 1) and N(x, 1) at x = 0 and 2: distances 0 and 2.  V = 0 and 2 Phi(1) - 1, h^2 = 0 and 1 - e^-1/2;
 * the mean of V is Phi(1) - 1/2 = 0.341344746068542949, the root of the mean of h^2 0.443547821709997002 (the mean of h would
 * be 0.313636). */
/* evidence hand: T.8 */
START_TEST(mean_distances_by_hand)
{
    const smoe_mix_shape shape = {.gate = SMOE_MIX_NORM, .k = 1, .d = 1};
    const double p[] = {0, 0, 1}, q[] = {1, 0, 1}, x[] = {0, 2};
    double work[64], variation[2], square[2], error[4], tv, hellinger;
    ck_assert_uint_le(smoe_mix_distance_work(&shape, &shape), 64);
    OK(smoe_mix_distance(&shape, p, &shape, q, 2, x, work, variation, square, error, &tv, &hellinger));
    ck_assert_msg(variation[0] == 0 && square[0] == 0, "T.8: %g and %g between equals", variation[0], square[0]);
    NEAR(variation[1], 0.682689492137085897, 32, "T.8 V");
    NEAR(square[1], 0.393469340287366577, 32, "T.8 h^2");
    NEAR(tv, 0.341344746068542949, 32, "T.8 mean of V");
    NEAR(hellinger, 0.443547821709997002, 32, "T.8 root of the mean of h^2");
    for (size_t j = 0; j < 4; j++) ck_assert_msg(error[j] >= 0 && error[j] < 1e-13, "T.8: a claim of %g", error[j]);
}
END_TEST

/* beta0 = (0, ln 3) less ln 4; beta1 = (4, 0) less 1/4 * 4.  Truth 0 and 4, atoms 1, 2, 3: cells 0, 0 (a tie), 1. */
/* evidence hand: T.9 */
START_TEST(cells_by_hand)
{
    const smoe_mix_shape shape = {.gate = SMOE_MIX_SOFTMAX, .free_weights = true, .k = 2, .d = 1};
    double theta[] = {7, 1, 1, 0, 4, 9, 5, 4, 0x1.193ea7aad030bp+0, 0}, work[1], margin[3], atoms[8], beta0[2];
    const double truth[] = {0, 4}, at[] = {1, 2, 3};
    size_t cell[3];
    OK(smoe_mix_normal_form(&shape, theta));
    NEAR(theta[3], -1.386294361119890619, 2, "T.9 beta0_0");
    NEAR(theta[8], -0.287682072451780927, 8, "T.9 beta0_1");
    NEAR(theta[4], 3, 4, "T.9 beta1_0");
    NEAR(theta[9], -1, 4, "T.9 beta1_1");
    OK(smoe_mix_atoms(&shape, theta, atoms, beta0));
    SAME(atoms, ((double[]){theta[4], 7, 1, 1, theta[9], 9, 5, 4}), 8, "T.9 atoms");
    const smoe_mix_shape equal = {.gate = SMOE_MIX_SOFTMAX, .k = 2, .d = 1};
    double without[] = {7, 1, 1, 4, 9, 5, 4, -2}; /* weights that are not free are 1/2: less 1/2 (4 - 2) */
    OK(smoe_mix_normal_form(&equal, without));
    SAME(without, ((double[]){7, 1, 1, 3, 9, 5, 4, -3}), 8, "T.9 beta1, weights not free");
    OK(smoe_voronoi_cells(3, 2, 1, at, truth, work, cell, margin));
    SAME_INDEX(cell, ((size_t[]){0, 0, 1}), 3, "T.9 cell");
    SAME(margin, ((double[]){2, 0, 2}), 3, "T.9 margin");
    ck_assert_msg(smoe_voronoi_size(3, cell, 0) == 2 && smoe_voronoi_size(3, cell, 1) == 1, "T.9: sizes of the cells");
}
END_TEST

/* Truth 0 and 4 with weight 1; atoms 1/2 and 4 with weights 1 and 2: 1 + 1/2. */
/* evidence hand: T.10 */
START_TEST(exact_loss_by_hand)
{
    const double truth[] = {0, 4}, atoms[] = {0.5, 4}, beta0[] = {0, 0x1.62e42fefa39efp-1}, zero[] = {0, 0};
    const size_t cell[] = {0, 1};
    double work[1], loss;
    OK(smoe_voronoi_exact(2, 2, 1, atoms, truth, beta0, zero, cell, work, &loss));
    NEAR(loss, 1.5, 2, "T.10");
}
END_TEST

/* Two atoms share the first cell: 1 + (1/4 + 1/16 + 1/4)/2 = 41/32, by powers (2,4,2) and by (2, r, r/2). */
/* evidence hand: T.11 */
START_TEST(over_loss_by_hand)
{
    const double truth[] = {0, 0, 1, 4, 0, 1}, atoms[] = {0.5, 0, 1, 0, 0.5, 1.5, 4, 0, 2}, zero[] = {0, 0};
    const double ln2 = 0x1.62e42fefa39efp-1, beta0[] = {-ln2, -ln2, 0};
    const double power[] = {2, 4, 2}, none[] = {0, 0, 0}, slope[] = {2, 0, 0}, times[] = {0, 1, 0.5};
    const size_t width[] = {1, 1, 1};
    size_t cell[3];
    double work[3], loss, order;
    OK(smoe_voronoi_cells(3, 2, 3, atoms, truth, work, cell, NULL));
    OK(smoe_voronoi_over(3, 2, 3, atoms, truth, beta0, zero, cell, 3, width, power, none, work, &loss));
    NEAR(loss, 41.0 / 32, 2, "T.11 (2,4,2)");
    OK(smoe_voronoi_over(3, 2, 3, atoms, truth, beta0, zero, cell, 3, width, slope, times, work, &loss));
    NEAR(loss, 41.0 / 32, 2, "T.11 (2,r,r/2)");
    OK(smoe_voronoi_order(2, &order));
    ck_assert_msg(order == 4, "T.11: r(2) is %g", order);
    OK(smoe_voronoi_order(3, &order));
    ck_assert_msg(order == 6, "T.11: r(3) is %g", order);
}
END_TEST

/* One atom: a step is least squares, (0,0) (1,1) (2,1): a = 1/2, b = 1/6, nu = 1/18.  Softmax gate at weights 1/2: see
 * below.  Norm gate at weights 1/2, responsibilities that sum to 3 and 1: beta0 = (ln 3/2, ln 1/2). */
/* evidence hand: T.12 */
START_TEST(em_by_hand)
{
    const smoe_mix_shape one = {.gate = SMOE_MIX_SOFTPLUS, .k = 1, .d = 1};
    const double x[] = {0, 1, 2}, y[] = {0, 1, 1}, theta[] = {0, 0, 1};
    double work[80], q[8], next[8], loglik;
    OK(smoe_mix_em_step(&one, 3, theta, x, y, 0x1p-20, work, q, next, &loglik));
    SAME(q, ((double[]){1, 1, 1}), 3, "T.12 q");
    NEAR(next[0], 0.5, 2, "T.12 a");
    NEAR(next[1], 1.0 / 6, 4, "T.12 b");
    NEAR(next[2], 1.0 / 18, 4, "T.12 nu");
    double direction[2];
    OK(smoe_mix_em_direction(&one, 3, theta, x, y, q, work, direction));
    SAME(direction, next, 2, "T.12 direction from 0"); /* the step is as long as the direction */
    double variance[2];
    OK(smoe_mix_em_variances(&one, 3, theta, x, y, q, variance)); /* about y = 0: (0 + 1 + 1)/3 */
    NEAR(variance[0], 2.0 / 3, 2, "T.12 nu about 0");
    OK(smoe_mix_em_variances(&one, 3, next, x, y, q, variance));
    SAME(variance, next + 2, 1, "T.12 nu about the new line");
    NEAR(loglik, -0.91893853320467274178 - 1.0 / 3, 4,
         "T.12 L at theta"); /* residuals 0, 1, 1: mean square 2/3, half */
    const smoe_mix_shape flat = {.gate = SMOE_MIX_SOFTMAX, .free_weights = true, .k = 2, .d = 1};
    const double x4[] = {-1, 1, -1, 1}, y4[] = {1, 1, 1, 1}, q4[] = {1, 0, 1, 0, 0.5, 0.5, 0.5, 0.5};
    const double start[] = {0, 1, 1, 0, 0, 0, -1, 1, 0, 0};
    double after[10];
    OK(smoe_mix_m_step(&flat, 4, start, x4, y4, q4, 0.25, work, after));
    /* Boehning's step: 2 (sum x~x~')^-1 sum (q - 1/2) x~ = 2 ((1/2,1/2) by sums 0 and 1) / 4 */
    NEAR(after[3], 0.5, 2, "T.12 beta0_0");
    NEAR(after[8], -0.5, 2, "T.12 beta0_1");
    ck_assert_msg(after[4] == 0 && after[9] == 0, "T.12: beta1 is (%g, %g), by hand 0", after[4], after[9]);
    ck_assert_msg(after[2] == 0.25 && after[7] == 0.25, "T.12: all residuals are 0, the variances the least allowed");
    const smoe_mix_shape scaled = {.gate = SMOE_MIX_NORM, .free_weights = true, .k = 2, .d = 1};
    const double q_flat[] = {0.75, 0.25, 0.75, 0.25, 0.75, 0.25, 0.75, 0.25}, same[] = {0, 0, 1, 0, 0, 0, 1, 0};
    OK(smoe_mix_m_step(&scaled, 4, same, x4, ((double[]){0, 0, 0, 0}), q_flat, 0.25, work, after));
    NEAR(after[3], 0.4054651081081643820, 4, "T.12 beta0_0, norm"); /* experts at 0 fit, and |h| pulls nowhere at 0 */
    NEAR(after[7], -0.6931471805599453094, 4, "T.12 beta0_1, norm");

    /* Two features, of means 0 and 2, sum of the squares about them 4 I; q - 1/2 is 1/2 at the first point alone, (-1,-1) from the
     * means: 2 (-1/2, -1/2) / 4 along the features, 2 (1/2) / 4 at the means, 1/4 + 2 (1/4) at 0. */
    const smoe_mix_shape plane = {.gate = SMOE_MIX_SOFTMAX, .free_weights = true, .k = 2, .d = 2};
    const double x8[] = {-1, 1, 1, 1, -1, 3, 1, 3}, first[] = {1, 0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5};
    const double level[] = {0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0};
    double room[200], moved[14];
    OK(smoe_mix_m_step(&plane, 4, level, x8, y4, first, 0.25, room, moved));
    const double gates[] = {0.75, -0.25, -0.25};
    for (size_t l = 0; l < 3; l++) {
        NEAR(moved[4 + l], gates[l], 2, "T.12 gate of atom 0 in two dimensions");
        NEAR(moved[11 + l], -gates[l], 2, "T.12 gate of atom 1 in two dimensions");
    }
}
END_TEST

/* h = (0, 2) everywhere: weights 1 : e^2, that is 0.12 of atom 0, which has responsibility 1/32 for y = 2.  Its line should go up
 * to y, but |h| has an edge at 0: any step raises its weight, and Q falls by more than 0.08 of the step where the residual, of
 * variance 100, gives back 1/1600.  After 30 halvings the lines stay; the variances are those about them. */
/* evidence hand: T.12 */
START_TEST(an_edge_holds_the_lines)
{
    const double theta[] = {0, 0, 100, 0, 2, 1}, x[] = {-1, 1, -1, 1}, y[] = {2, 2, 2, 2};
    const double q[] = {0.03125, 0.96875, 0.03125, 0.96875, 0.03125, 0.96875, 0.03125, 0.96875};
    double work[80], next[6], direction[4], before, after;
    OK(smoe_mix_em_direction(&norm1, 4, theta, x, y, q, work, direction));
    NEAR(direction[1], 2, 4, "T.12 direction of b_0");
    OK(smoe_mix_complete_loglik(&norm1, 4, theta, x, y, q, work, &before));
    for (int s = 0; s <= 30; s++) {
        double moved[6];
        memcpy(moved, theta, sizeof moved);
        for (size_t i = 0; i < 2; i++)
            for (size_t l = 0; l < 2; l++) moved[3 * i + l] = fma(ldexp(1, -s), direction[2 * i + l], theta[3 * i + l]);
        OK(smoe_mix_complete_loglik(&norm1, 4, moved, x, y, q, work, &after));
        ck_assert_msg(after < before, "T.12: 2^-%d of the direction raises Q", s);
    }
    OK(smoe_mix_m_step(&norm1, 4, theta, x, y, q, 0.25, work, next));
    SAME(next, ((double[]){0, 0, 4, 0, 2, 0.25}), 6, "T.12: no step is short enough");
}
END_TEST

/* One atom, three features, 16 points on y = 3 x_0 - 2 x_1 + 5 x_2 + 7.  x = L s for all signs s in {-1,1}^3, twice over, with
 * L = (1 . . / 1 1 . / 2 -1 1): sum x x' = 16 L L', whose Cholesky factor 4 L and all else in the step is exact. */
START_TEST(em_by_hand_in_three_dimensions)
{
    enum { n = 16 };
    const smoe_mix_shape one = {.gate = SMOE_MIX_SOFTPLUS, .k = 1, .d = 3};
    const double theta[] = {0, 0, 0, 0, 1};
    double x[3 * n], y[n], work[200], q[n], next[5], loglik;
    for (unsigned t = 0; t < n; t++) {
        const double s0 = t & 1 ? 1 : -1, s1 = t & 2 ? 1 : -1, s2 = t & 4 ? 1 : -1;
        x[3 * t] = s0;
        x[3 * t + 1] = s0 + s1;
        x[3 * t + 2] = 2 * s0 - s1 + s2;
        y[t] = 3 * x[3 * t] - 2 * x[3 * t + 1] + 5 * x[3 * t + 2] + 7;
    }
    OK(smoe_mix_em_step(&one, n, theta, x, y, 0x1p-20, work, q, next, &loglik));
    SAME(next, ((double[]){3, -2, 5, 7, 0x1p-20}), 5, "T.12 a, b and the least nu");
}
END_TEST

/* (0,0) (1,1) (2,1) of atom 0 as above; (0,5) (2,3) (4,4) of atom 1: a = -1/4, b = 9/2, nu = 1/2. */
/* evidence hand: T.13 */
START_TEST(oracle_by_hand)
{
    const double x[] = {0, 0, 1, 2, 2, 4}, y[] = {0, 5, 1, 3, 1, 4};
    const size_t label[] = {0, 1, 0, 1, 0, 1};
    double work[8], eta[6];
    OK(smoe_oracle(6, 2, 1, x, y, label, work, eta));
    for (size_t j = 0; j < 6; j++) NEAR(eta[j], ((double[]){0.5, 1.0 / 6, 1.0 / 18, -0.25, 4.5, 0.5})[j], 4, "T.13");
}
END_TEST

/* Sigmoid at z = ln 3: 3/4, 3/16, -3/32.  Linear at 2 * 3 + 1.  Columns (3,4) and (0,0) and (4,3): scaled, the Gram of the
 * two is (1, 24/25): singular values 7/5 and 1/5, and 0. */
/* evidence hand: T.14 */
START_TEST(identifiability_by_hand)
{
    const double ln3 = 0x1.193ea7aad030bp+0, zero = 0, one = 1, two = 2, three = 3;
    double row[6], M[] = {3, 0, 4, 4, 0, 3, 0, 0, 0}, s[3], error;
    ck_assert_msg(smoe_identifiability_columns(1) == 6 && smoe_identifiability_columns(2) == 10, "T.14: columns");
    OK(smoe_identifiability_matrix(SMOE_MIX_SIGMOID, 1, 1, 1, &ln3, &zero, &one, row));
    for (size_t j = 0; j < 6; j++)
        NEAR(row[j], ((double[]){0.75, 0.1875, 0.1875, -0.09375, -0.09375, -0.09375})[j], 8, "T.14 sigmoid");
    OK(smoe_identifiability_matrix(SMOE_MIX_LINEAR, 1, 1, 1, &two, &one, &three, row));
    SAME(row, ((double[]){7, 3, 1, 0, 0, 0}), 6, "T.14 linear");
    OK(smoe_singular_values(3, 3, M, s, &error));
    NEAR(s[0], 1.4, 4, "T.14 s_0");
    NEAR(s[1], 0.2, 16, "T.14 s_1");
    ck_assert_msg(s[2] == 0 && error < 1e-13, "T.14: s_2 is %g, error %g", s[2], error);
}
END_TEST

/* h = (ln 2, 0), norm gate: (2/3, 1/3); the first atom twice (4/5, 1/5), the second twice (1/2, 1/2), both twice (2/3,
 * 1/3) again; and with half the weight each for the first, (2/3, 1/3). */
/* evidence hand: T.15 */
START_TEST(copies_by_hand)
{
    const double ln2 = 0x1.62e42fefa39efp-1, x = 0, first[] = {0, ln2, 1}, second[] = {0, 0, 1};
    const int copies[4][2] = {{1, 1}, {2, 1}, {1, 2}, {2, 2}};
    const double want[] = {2.0 / 3, 0.8, 0.5, 2.0 / 3};
    double theta[16], work[80], pi[4];
    for (int c = 0; c < 4; c++) {
        smoe_mix_shape shape = {.gate = SMOE_MIX_NORM, .k = (size_t)(copies[c][0] + copies[c][1]), .d = 1};
        double mass = 0;
        for (size_t i = 0; i < shape.k; i++)
            memcpy(theta + 3 * i, i < (size_t)copies[c][0] ? first : second, sizeof first);
        OK(smoe_mix_weights(&shape, theta, &x, work, pi, NULL));
        for (size_t i = 0; i < (size_t)copies[c][0]; i++) mass += pi[i];
        NEAR(mass, want[c], 4, "T.15 weight of the first");
    }
    const smoe_mix_shape free_shape = {.gate = SMOE_MIX_NORM, .free_weights = true, .k = 3, .d = 1};
    OK(smoe_mix_weights(&free_shape, ((double[]){0, ln2, 1, -ln2, 0, ln2, 1, -ln2, 0, 0, 1, 0}), &x, work, pi, NULL));
    NEAR(pi[0] + pi[1], 2.0 / 3, 4, "T.15 weight of the first, shared");
}
END_TEST

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
    case SMOE_MIX_TANH:
        return tanhl(z);
    case SMOE_MIX_GELU:
        return z / 2 * erfcl(-z / sqrtl(2));
    case SMOE_MIX_SIGMOID:
        return 1 / (1 + expl(-z));
    default:
        return z;
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
static long double exact_density(const smoe_mix_shape *s, const long double *theta, const long double *x, long double y)
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
    for (uint64_t seed = 1; seed <= (light() ? 1 : 3); seed++) {
        double theta[MOST], g[MOST];
        const problem q = problem_of(_i, seed, theta);
        gradient(&q, theta, g);
        const double order = slopes_order_right(numbers(&q), theta, g, exact, &q, seed);
        const double off = slopes_adjoint(numbers(&q), theta, g, library, &q, 0, numbers(&q), seed);
        ck_assert_msg(order > 1.8, "%s: Taylor remainder falls with order %.3f, not 2", name_of(&q.shape), order);
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
    for (uint64_t seed = 1; seed <= (light() ? 1 : 3); seed++) {
        double theta[MOST], moved[MOST], g[MOST], up[MOST], down[MOST], v[MOST] = {0}, w[MOST] = {0}, Hv[MOST],
                                                                        Hw[MOST];
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
            const long double e = ldexpl(1, (i == 0 ? -9 : -13) + (slopes_narrow() ? 2 : 0)); /* clear of rounding */
            for (size_t j = 0; j < P; j++) at[j] = theta[j] + e * v[j];
            R[i] = fabsl(exact(&q, at) - L0 - e * slope - e * e / 2 * curve);
        }
        const double order = (double)(log2l(R[0] / R[1]) / 4);
        ck_assert_msg(order > 2.7, "T.6, %s: third-order remainder falls with order %.3f", name_of(&q.shape), order);
    }
}
END_TEST

/* --- properties --- */

/* A model of 64 with theta and data, for the tests below. */
typedef struct {
    problem q;
    double theta[MOST], work[2 * MOST];
    size_t p; /* stride */
    const double *x, *y;
} model;

static model model_of(int number, uint64_t seed)
{
    model m = {.p = 0};
    m.q = problem_of(number, seed, m.theta);
    m.p = smoe_mix_stride(&m.q.shape);
    return m;
}

static void data_of(model *m)
{
    m->x = m->theta + smoe_mix_parameters(&m->q.shape);
    m->y = m->x + m->q.n * m->q.shape.d;
}

static double loglik_of(model *m, const double *theta)
{
    double L;
    OK(smoe_mix_loglik(&m->q.shape, m->q.n, theta, m->x, m->y, m->work, &L));
    return L;
}

/* Atoms and hidden units in another order; a linear expert is linear. */
/* evidence properties: T.1 T.4 T.5 */
START_TEST(order_does_not_matter)
{
    model m = model_of(_i, 11);
    data_of(&m);
    const smoe_mix_shape *s = &m.q.shape;
    double other[MOST];
    for (size_t i = 0; i < s->k; i++) memcpy(other + (s->k - 1 - i) * m.p, m.theta + i * m.p, m.p * sizeof *other);
    for (size_t i = 0; i < s->k && s->H == 2; i++) { /* swap the two units: rows of w, elements of c and v */
        double *eta = other + i * m.p, swap;
        for (size_t l = 0; l < s->d + 2; l++) {
            double *one = l < s->d ? &eta[l] : &eta[2 * l], *two = l < s->d ? &eta[s->d + l] : &eta[2 * l + 1];
            swap = *one, *one = *two, *two = swap;
        }
    }
    const double L = loglik_of(&m, m.theta), M = loglik_of(&m, other);
    ck_assert_msg(fabs(L - M) <= 1e-14 * (1 + fabs(L)), "%s: L is %.17g, reordered %.17g", name_of(s), L, M);
    double sum = 0, logp;
    for (size_t t = 0; t < m.q.n; t++) {
        OK(smoe_mix_log_density(s, m.theta, m.x + t * s->d, m.y[t], m.work, &logp));
        sum += logp;
    }
    ck_assert_msg(sum / (double)m.q.n == L, "T.5: the mean of T.4 is %a, L is %a", sum / (double)m.q.n, L);
    double both, score[MOST], g[MOST], Ms[1];
    OK(smoe_mix_loglik_score(s, m.q.n, m.theta, m.x, m.y, m.work, &both, score));
    OK(smoe_mix_loglik_vjp(s, m.q.n, m.theta, m.x, m.y, 1, m.work, g, NULL, NULL));
    ck_assert_msg(both == L && memcmp(score, g, s->k * m.p * sizeof *g) == 0, "T.5: score and vjp differ");
    if (s->expert != SMOE_MIX_LINEAR) return;
    double eta[3], h[2];
    for (size_t l = 0; l < 3; l++) eta[l] = 2 * m.theta[l];
    OK(smoe_mix_mean(s, m.theta, m.x, m.work, &h[0]));
    OK(smoe_mix_mean(s, eta, m.x, m.work, &h[1]));
    Ms[0] = h[1] - 2 * h[0];
    ck_assert_msg(Ms[0] == 0, "T.1: twice the parameters, yet h off by %g", Ms[0]);
}
END_TEST

/* Weights sum to 1, are 0 outside the top K, do not see a common shift of beta0; the score's derivative is its slope, and
 * the softplus gate goes on where softplus has underflown. */
/* evidence properties: T.2 */
START_TEST(weights_are_a_distribution)
{
    model m = model_of(_i, 12);
    data_of(&m);
    const smoe_mix_shape *s = &m.q.shape;
    double pi[3], moved[3], margin, sum = 0;
    size_t zeros = 0;
    OK(smoe_mix_weights(s, m.theta, m.x, m.work, pi, &margin));
    for (size_t i = 0; i < 3; i++) {
        sum += pi[i];
        zeros += pi[i] == 0;
    }
    ck_assert_msg(near(sum, 1, 4), "T.2, %s: weights sum to %.17g", name_of(s), sum);
    ck_assert_msg(zeros == (s->topk == 2) && (margin < INFINITY) == (s->topk == 2) && margin > 0, "T.2, %s: top K",
                  name_of(s));
    if (s->free_weights)
        for (size_t i = 0; i < 3; i++) m.theta[i * m.p + smoe_mix_beta0_at(s)] += 3;
    OK(smoe_mix_weights(s, m.theta, m.x, m.work, moved, NULL));
    for (size_t i = 0; i < 3; i++) ck_assert_msg(near(moved[i], pi[i], 16), "T.2, %s: shift of beta0", name_of(s));
    for (double h = -60; h <= 60; h += 7.3) {
        const double e = 0x1p-20, up = smoe_mix_score(s->gate, h + e), down = smoe_mix_score(s->gate, h - e);
        const double first = smoe_mix_score_deriv(s->gate, h), second = smoe_mix_score_second_deriv(s->gate, h);
        const double turned = smoe_mix_score_deriv(s->gate, h + e) - smoe_mix_score_deriv(s->gate, h - e);
        if (s->gate == SMOE_MIX_SOFTMAX) continue;
        ck_assert_msg(fabs((up - down) / (2 * e) - first) < 1e-7, "T.2: s'(%g) is %g", h, first);
        ck_assert_msg(fabs(turned / (2 * e) - second) < 1e-7, "T.2: s''(%g) is %g", h, second);
    }
    ck_assert_msg(smoe_mix_score(SMOE_MIX_SOFTPLUS, -2000) == -2000, "T.2: ln softplus far below");
    ck_assert_msg(near(smoe_mix_score(SMOE_MIX_SOFTPLUS, -40), -40, 1), "T.2: ln softplus where its two forms meet");
}
END_TEST

/* The integral over y is 1, from the mixture at x; N is even in y - h, and its maximum over nu is at (y - h)^2. */
/* evidence properties: T.3 T.4 T.8 */
START_TEST(density_integrates_to_one)
{
    model m = model_of(shape_to_integrate(_i), 13);
    data_of(&m);
    const smoe_mix_shape *s = &m.q.shape;
    double at[12], lo, hi, sum = 0;
    OK(smoe_mix_at(s, m.theta, m.x, m.work, at, NULL));
    smoe_mixture_interval(3, at, 9, &lo, &hi);
    for (int j = 0; j <= 500; j++) /* the trapezoidal rule converges exponentially here */
        sum += smoe_exp(smoe_mixture_log_density(3, at, lo + (hi - lo) * j / 500));
    ck_assert_msg(fabs(sum * (hi - lo) / 500 - 1) < 1e-12, "T.4, %s: integral %.15g", name_of(s),
                  sum * (hi - lo) / 500);
    ck_assert_msg(smoe_mixture_outside(3, at, lo, hi) < 1e-17, "T.8: outside 9 deviations");
    ck_assert_msg(near(smoe_mixture_outside(3, at, 0.5, 0.5), 1, 8), "T.8: outside a point is everything");
    smoe_mixture_interval(3, at, 1, &lo, &hi);
    double outside = 0;
    for (int j = 0; j <= 1000; j++) {
        const double u = 20.0 * j / 1000, w = j == 0 || j == 1000 ? 0.5 : 1;
        outside +=
            w * (smoe_exp(smoe_mixture_log_density(3, at, lo - u)) + smoe_exp(smoe_mixture_log_density(3, at, hi + u)));
    }
    ck_assert_msg(fabs(outside * 20 / 1000 - smoe_mixture_outside(3, at, lo, hi)) < 1e-4, "T.8, %s: mass outside",
                  name_of(s));
    ck_assert_msg(smoe_normal_log_density(3, 1, 2) == smoe_normal_log_density(-1, 1, 2), "T.3: not even");
    for (double nu = 3.9; nu <= 4.15; nu += 0.2)
        ck_assert_msg(smoe_normal_log_density(3, 1, nu) < smoe_normal_log_density(3, 1, 4), "T.3: %g beats (y-h)^2",
                      nu);
}
END_TEST

/* T.4: an atom split into two equal ones that share its weight; a common translation of the softmax gate. */
/* evidence properties: T.4 T.9 */
START_TEST(same_measure_same_density)
{
    for (int number = 16; number < 20; number++) { /* linear experts, free weights */
        model m = model_of(number, 14);
        data_of(&m);
        const smoe_mix_shape *s = &m.q.shape;
        smoe_mix_shape four = *s;
        four.k = 4;
        double split[MOST], L, work[MOST];
        memcpy(split, m.theta, 3 * m.p * sizeof *split);
        memcpy(split + 3 * m.p, m.theta, m.p * sizeof *split);
        split[smoe_mix_beta0_at(s)] -= 0x1.62e42fefa39efp-1;
        split[3 * m.p + smoe_mix_beta0_at(s)] -= 0x1.62e42fefa39efp-1;
        OK(smoe_mix_loglik(&four, m.q.n, split, m.x, m.y, work, &L));
        const double before = loglik_of(&m, m.theta);
        ck_assert_msg(fabs(L - before) < 1e-14, "T.4, %s: split, L is %.17g, was %.17g", name_of(s), L, before);
        double normal3[MOST], moved[MOST];
        memcpy(normal3, m.theta, sizeof normal3);
        memcpy(moved, m.theta, sizeof moved);
        for (size_t i = 0; i < 3; i++) {
            moved[i * m.p + smoe_mix_beta0_at(s)] += 2;
            for (size_t l = 0; l < s->d && s->gate == SMOE_MIX_SOFTMAX; l++)
                moved[i * m.p + smoe_mix_beta1_at(s) + l] += 3 + (double)l;
        }
        ck_assert_msg(fabs(loglik_of(&m, moved) - before) < 1e-13, "T.9, %s: translated", name_of(s));
        OK(smoe_mix_normal_form(s, normal3));
        OK(smoe_mix_normal_form(s, moved));
        OK(smoe_mix_normal_form(&four, split));
        ck_assert_msg(fabs(loglik_of(&m, normal3) - before) < 1e-13, "T.9, %s: normal form", name_of(s));
        for (size_t j = 0; j < 3 * m.p; j++) {
            ck_assert_msg(fabs(normal3[j] - moved[j]) < 1e-14, "T.9, %s: translation shows in [%zu]", name_of(s), j);
            const double half = j == smoe_mix_beta0_at(s) ? 0x1.62e42fefa39efp-1 : 0;
            ck_assert_msg(fabs(normal3[j] - half - split[j]) < 1e-14, "T.9, %s: split shows in [%zu]", name_of(s), j);
        }
    }
}
END_TEST

/* H is linear in v; one linear atom without a gate: the (a,b) block is -sum x~ x~' / (n nu). */
/* evidence properties: T.6 */
START_TEST(hessian_is_linear)
{
    double theta[MOST], v[MOST] = {0}, w[MOST] = {0}, u[MOST] = {0}, Hv[MOST], Hw[MOST], Hu[MOST];
    problem q = problem_of(_i, 15, theta);
    const size_t P = smoe_mix_parameters(&q.shape);
    uint64_t seed = 15;
    slopes_fill(&seed, 1, P, v);
    slopes_fill(&seed, 1, P, w);
    for (size_t j = 0; j < P; j++) u[j] = 2 * v[j] - 3 * w[j];
    hvp(&q, theta, v, Hv);
    hvp(&q, theta, w, Hw);
    hvp(&q, theta, u, Hu);
    for (size_t j = 0; j < P; j++)
        ck_assert_msg(fabs(Hu[j] - 2 * Hv[j] + 3 * Hw[j]) < 1e-12 * (1 + fabs(Hu[j])), "T.6, %s: [%zu]",
                      name_of(&q.shape), j);
    const smoe_mix_shape one = {.gate = (smoe_mix_gate)(_i & 3), .k = 1, .d = 1};
    const double at[] = {1, 2, 0.5, 0.25}, dir[] = {1, 0, 0, 0}, x[] = {1, 3}, y[] = {0, 1};
    OK(smoe_mix_hvp(&one, 2, at, dir, x, y, v, Hv)); /* (1 + 9)/2 / (1/2) = 10, (1 + 3)/2 / (1/2) = 4 */
    ck_assert_msg(near(Hv[0], -10, 2) && near(Hv[1], -4, 2), "T.6: (%g, %g), by hand (-10, -4)", Hv[0], Hv[1]);
}
END_TEST

/* u on a grid: an atom gets its weight of the samples within one of them; y is h + sqrt(nu) z of the label. Random u:
 * within five standard deviations. */
/* evidence properties: T.7 */
START_TEST(labels_have_the_weights)
{
    enum { MANY = 4000 };
    const size_t n = light() ? MANY / 10 : MANY;
    model m = model_of(_i, 16);
    data_of(&m);
    const smoe_mix_shape *s = &m.q.shape;
    static double x[2 * MANY], u[MANY], z[MANY], y[MANY], margin[MANY];
    static size_t label[MANY];
    double pi[3], h[3];
    uint64_t seed = 16;
    slopes_fill(&seed, 2, n, z);
    OK(smoe_mix_weights(s, m.theta, m.x, m.work, pi, NULL));
    for (size_t i = 0; i < 3; i++) OK(smoe_mix_mean(s, m.theta + i * m.p, m.x, m.work, &h[i]));
    for (int random = 0; random < 2; random++) {
        double count[3] = {0};
        bool right = true;
        for (size_t t = 0; t < n; t++) {
            u[t] = random ? (1 + slopes_draw(&seed)) / 2 : ((double)t + 0.5) / (double)n;
            memcpy(x + 2 * t, m.x, 2 * sizeof *x);
        }
        OK(smoe_mix_sample(s, n, m.theta, x, u, z, m.work, label, margin, y));
        for (size_t t = 0; t < n; t++) {
            const double nu = m.theta[label[t] * m.p + smoe_mix_variance_at(s)];
            count[label[t]]++;
            right = right && y[t] == h[label[t]] + sqrt(nu) * z[t] && margin[t] >= 0;
        }
        ck_assert_msg(right, "T.7, %s: y is not h + sqrt(nu) z of the label", name_of(s));
        for (size_t i = 0; i < 3; i++) {
            const double all = (double)n, off = fabs(count[i] - all * pi[i]);
            ck_assert_msg(off <= (random ? 5 * sqrt(all * pi[i] * (1 - pi[i])) : 1),
                          "T.7, %s: atom %zu has %g of %zu, weight %g", name_of(s), i, count[i], n, pi[i]);
        }
    }
}
END_TEST

/* h^2 <= V <= sqrt 2 h, V^2/2 <= h^2; both symmetric, 0 for one model, at most 1. */
/* evidence properties: T.8 */
START_TEST(distances_are_ordered)
{
    double p[12], q[12], lo, hi, l, r;
    model a = model_of(shape_to_integrate(_i), 17), b = model_of(shape_to_integrate(_i), 18);
    data_of(&a);
    OK(smoe_mix_at(&a.q.shape, a.theta, a.x, a.work, p, NULL));
    OK(smoe_mix_at(&a.q.shape, b.theta, a.x, a.work, q, NULL));
    smoe_mixture_interval(3, p, 8, &lo, &hi);
    smoe_mixture_interval(3, q, 8, &l, &r);
    lo = fmin(lo, l);
    hi = fmax(hi, r);
    const double V = simpson(p, 3, q, 3, false, lo, hi), h2 = simpson(p, 3, q, 3, true, lo, hi);
    ck_assert_msg(h2 <= V + 1e-6 && V <= sqrt(2 * h2) + 1e-6 && V <= 1 + 1e-6 && V > 0, "T.8: V = %g, h^2 = %g", V, h2);
    ck_assert_msg(V * V / 2 <= h2 + 1e-6, "T.8: V = %g, h^2 = %g", V, h2);
    ck_assert_msg(simpson(q, 3, p, 3, false, lo, hi) == V && simpson(q, 3, p, 3, true, lo, hi) == h2,
                  "T.8: not symmetric");
    ck_assert_msg(simpson(p, 3, p, 3, false, lo, hi) == 0 && simpson(p, 3, p, 3, true, lo, hi) == 0, "T.8: not 0");
    for (double delta = 0.5; delta < 6 && _i == 0;
         delta += 1.7) { /* equal variances 4: 2 Phi(delta/4) - 1, 1 - e^(-delta^2/32) */
        const double c = smoe_normal_log_density(0, 0, 4), one[] = {0, 0, 4, c}, two[] = {0, delta, 4, c};
        const double middle = delta / 2, left = simpson(one, 1, two, 1, false, -20, middle);
        const double tv = left + simpson(one, 1, two, 1, false, middle, 26),
                     hh = simpson(one, 1, two, 1, true, -20, 26);
        ck_assert_msg(fabs(tv - 2 * smoe_normal_cdf(delta / 4) + 1) < 1e-10, "T.8: V(%g) = %.15g", delta, tv);
        ck_assert_msg(fabs(hh + smoe_expm1(-delta * delta / 32)) < 1e-10, "T.8: h^2(%g) = %.15g", delta, hh);
    }
}
END_TEST

/* Variances of 4 at distances from 1e-6 to 60: 2 Phi(delta/4) - 1 and 1 - e^(-delta^2/32), near 0 as well as near 1.  Unequal
 * variances s^2 and S^2 about one mean: they cross at u^2 = 2 ln(S/s) / (1/s^2 - 1/S^2), h^2 = 1 - sqrt(2 s S/(s^2 + S^2)). */
/* evidence properties: T.8 */
START_TEST(quadrature_meets_closed_forms)
{
    double work[10], V, h2, error[2];
    for (double delta = 1e-6; delta < 64; delta *= 1.7) {
        const double c = smoe_normal_log_density(0, 0, 4), p[] = {0, 0, 4, c}, q[] = {0, delta, 4, c};
        OK(smoe_mixture_distance(1, p, 1, q, work, &V, &h2, error));
        const double v = (double)erfl((long double)delta / 4 / sqrtl(2)), s = -smoe_expm1(-delta * delta / 32);
        ck_assert_msg(fabs(V - v) <= error[0] && error[0] < 1e-12, "T.8: V(%g) = %.17g, not %.17g", delta, V, v);
        ck_assert_msg(fabs(h2 - s) <= error[1] && error[1] < 1e-12 * sqrt(s) + 1e-25, "T.8: h^2(%g) = %.17g, not %.17g",
                      delta, h2, s);
    }
    for (double S = 1.0009765625; S < 2000; S = 1 + 3 * (S - 1)) {
        const double p[] = {0, 3, 1, smoe_normal_log_density(0, 0, 1)};
        const double q[] = {0, 3, S * S, smoe_normal_log_density(0, 0, S * S)};
        const long double u = sqrtl(2 * logl((long double)S) / (1 - 1 / ((long double)S * S)));
        const double v = (double)(erfl(u / sqrtl(2)) - erfl(u / S / sqrtl(2)));
        const double s = (double)-expm1l(log1pl(-(S - 1.0L) * (S - 1.0L) / (1 + (long double)S * S)) / 2);
        OK(smoe_mixture_distance(1, p, 1, q, work, &V, &h2, error));
        ck_assert_msg(fabs(V - v) <= error[0] && error[0] < 1e-10, "T.8: V at %g = %.17g, not %.17g", S, V, v);
        ck_assert_msg(fabs(h2 - s) <= error[1] && error[1] < 1e-10, "T.8: h^2 at %g = %.17g, not %.17g", S, h2, s);
    }
}
END_TEST

/* For all gates and experts: h^2 <= V <= h sqrt(2 - h^2); symmetric bit for bit; 0 for one model; hardly anything for another
 * order of the atoms; the error is no part of the result. */
/* evidence properties: T.8 */
START_TEST(models_have_distances)
{
    const int number = shape_to_integrate(_i);
    const smoe_mix_shape s = shape_of(number);
    double a[MOST], b[MOST], turned[MOST], work[256], V[SAMPLES], h2[SAMPLES], W[SAMPLES], g2[SAMPLES], tv, h, tw, g;
    double error[2 * SAMPLES];
    problem_of(number, 31, a);
    problem_of(number, 32, b);
    const double *x = a + smoe_mix_parameters(&s);
    const size_t n = SAMPLES, all = smoe_mix_parameters(&s), p = smoe_mix_stride(&s);
    ck_assert_uint_le(smoe_mix_distance_work(&s, &s), 256);
    OK(smoe_mix_distance(&s, a, &s, b, n, x, work, V, h2, error, &tv, &h));
    for (size_t t = 0; t < n; t++) {
        const double off = error[2 * t] + error[2 * t + 1];
        ck_assert_msg(h2[t] <= V[t] + off && V[t] <= sqrt(h2[t] * (2 - h2[t])) + off && V[t] > 0 && off < 1e-11,
                      "T.8, %s: V = %g, h^2 = %g within %g", name_of(&s), V[t], h2[t], off);
    }
    OK(smoe_mix_distance(&s, b, &s, a, n, x, work, W, g2, NULL, &tw, &g));
    ck_assert_msg(tw == tv && g == h && memcmp(V, W, sizeof V) == 0 && memcmp(h2, g2, sizeof h2) == 0,
                  "T.8, %s: not symmetric", name_of(&s));
    OK(smoe_mix_distance(&s, a, &s, a, n, x, work, V, h2, NULL, &tv, &h));
    ck_assert_msg(tv == 0 && h == 0, "T.8, %s: %g and %g from itself", name_of(&s), tv, h);
    for (size_t i = 0; i < s.k; i++) memcpy(turned + i * p, a + (i + 1) % s.k * p, p * sizeof *a);
    OK(smoe_mix_distance(&s, a, &s, turned, n, x, work, V, h2, NULL, &tv, &h));
    ck_assert_msg(all <= MOST && tv <= 1e-14 && h <= 1e-14, "T.8, %s: %g and %g from its atoms in another order",
                  name_of(&s), tv, h);
}
END_TEST

/* Atoms that a coarse rule steps over, a grid that is too coarse for the deviations: the distance is right, or the claim says
 * that it is not; and it comes in any case. */
START_TEST(hard_distances_end)
{
    double work[20], V, h2, error[2];
    const double c = smoe_normal_log_density(0, 0, 1), sharp = smoe_normal_log_density(0, 0, 1e-16),
                 half = -0x1.62e42fefa39efp-1;
    const double narrow[] = {half, half, 0, 500, 1, 1e-16, c, sharp}, wide[] = {half, half, 0, 501, 1, 1e-16, c, sharp};
    OK(smoe_mixture_distance(2, narrow, 2, wide, work, &V, &h2, error)); /* half of each lies apart */
    ck_assert_msg(fabs(V - 0.5) <= error[0] && fabs(h2 - 0.5) <= error[1] && error[0] < 1e-3,
                  "T.8: %.17g and %.17g within %g and %g for halves", V, h2, error[0], error[1]);
    const double far[] = {0, 0x1p40, 1, c}, there[] = {0, 0x1p40 + 2, 1, c}; /* neighbours are 2^-12 apart */
    OK(smoe_mixture_distance(1, far, 1, there, work, &V, &h2, error));
    ck_assert_msg(fabs(V - 0.682689492137085897) <= error[0] && fabs(h2 - 0.393469340287366577) <= error[1],
                  "T.8: %.17g and %.17g within %g and %g", V, h2, error[0], error[1]);
    ck_assert_msg(error[0] > 1e-6, "T.8: a claim of %g where y has 12 bits", error[0]);
    const double beyond[] = {0, 0x1p900, 1, c}; /* (y - h)^2 overflows */
    ck_assert_int_eq(smoe_mixture_distance(1, beyond, 1, far, work, &V, &h2, error), SMOE_EOVRFLW);
    const double endless[] = {0, 0x1p1023, 0x1p1022, c};
    ck_assert_int_eq(smoe_mixture_distance(1, endless, 1, far, work, &V, &h2, error), SMOE_EOVRFLW);
    const double heavy[] = {709, 0, 0x1p-40, smoe_normal_log_density(0, 0, 0x1p-40)}; /* its density overflows */
    ck_assert_int_eq(smoe_mixture_distance(1, heavy, 1, (double[]){0, 0, 1, c}, work, &V, &h2, error), SMOE_EOVRFLW);
    const double c4 = smoe_normal_log_density(0, 0, 4), nothing[] = {-700, 0, 4, c4}; /* sums at the largest double */
    double edge[] = {
        709.6875, 709.083984375, 709.2578125, 0x1.5fc8070d44d27p+9, 0, 0.5, 0.25, 0, 4, 4, 4, 4, c4, c4, c4, c4};
    double room[60];
    ck_assert_int_eq(smoe_mixture_distance(4, edge, 1, nothing, room, &V, &h2, error), SMOE_EOVRFLW);
    ck_assert_msg(V == DBL_MAX && h2 == INFINITY, "T.8: %a and %a; only h^2 was to overflow", V, h2);
    edge[1] = 709.02734375, edge[2] = 709.3046875, edge[3] = 0x1.5f6d05b2072a2p+9;
    ck_assert_int_eq(smoe_mixture_distance(4, edge, 1, nothing, room, &V, &h2, error), SMOE_EOVRFLW);
    ck_assert_msg(V == INFINITY && h2 == DBL_MAX, "T.8: %a and %a; only V was to overflow", V, h2);
}
END_TEST

/* k atoms far apart, each of variance 1 in p and 4 in q: each has two crossings, at u^2 = 2 ln 2 / (3/4), and V = erf(u/sqrt 2) -
 * erf(u/sqrt 8), h^2 = 1 - sqrt(4/5) as if it stood alone.  A crossing takes some 30 splits: for 60 atoms there are enough, for 80 not. */
START_TEST(splits_end_and_the_claim_says_so)
{
    enum { FEW = 60, ALL = 80 };
    double p[4 * ALL], q[4 * ALL], work[10 * ALL], V, h2, error[2];
    const double u = sqrt(8 * log(2) / 3), v = erf(u / sqrt(2)) - erf(u / sqrt(8)), s = 1 - sqrt(0.8);
    for (size_t k = FEW; k <= ALL; k += ALL - FEW) {
        for (size_t i = 0; i < k; i++) {
            p[i] = q[i] = -smoe_log((double)k);
            p[k + i] = q[k + i] = 64 * (double)i;
            p[2 * k + i] = 1;
            q[2 * k + i] = 4;
            p[3 * k + i] = smoe_normal_log_density(0, 0, 1);
            q[3 * k + i] = smoe_normal_log_density(0, 0, 4);
        }
        OK(smoe_mixture_distance(k, p, k, q, work, &V, &h2, error));
        ck_assert_msg(fabs(V - v) <= error[0] && fabs(h2 - s) <= error[1] && error[1] < 1e-11,
                      "T.8: %.17g and %.17g within %g and %g for %zu atoms", V, h2, error[0], error[1], k);
        if (k == FEW) ck_assert_msg(error[0] < 1e-11, "T.8: a claim of %g only", error[0]);
        if (k == ALL)
            ck_assert_msg(error[0] > 1e-3 && error[0] < 0.1, "T.8: a claim of %g without more splits", error[0]);
    }
}
END_TEST

/* p - q at y, and what it adds up to below y, of mixtures [4,k] whose masses are closed forms. */
static long double difference(size_t k, const double *p, const double *q, long double y, long double *below)
{
    long double d = 0;
    *below = 0;
    for (size_t i = 0; i < 2 * k; i++) {
        const double *at = i < k ? p + i : q + i - k;
        const long double mass = i < k ? expl(at[0]) : -expl(at[0]), z = (y - at[k]) / sqrtl(2 * (long double)at[2 * k]);
        d += mass * expl(-z * z) / sqrtl(at[2 * k]);
        *below += mass * 0.5L * erfcl(-z);
    }
    return d;
}

/* Two mixtures cross three times, two of them a thirtieth apart: between those no point of a panel need lie, and what tells that its
 * sign is not clear is how far ln p/q goes from one point to the next.  V is half of what p - q amounts to between crossings, which
 * a search at every 1/64 finds. */
START_TEST(crossings_between_points_are_not_overlooked)
{
    enum { K = 3 };
    const double mass[] = {0.514018691, 0.188464864, 0.297516445}, nu[] = {0.617366858, 7.791784131, 2.216298706};
    const double at_p[] = {0.52108244, 2.289094505, 4.10170044}, at_q[] = {0.52112406, 2.289139143, 4.102239798};
    double p[4 * K], q[4 * K], work[10 * K], V, h2, error[2];
    for (size_t i = 0; i < K; i++) {
        p[i] = q[i] = smoe_log(mass[i]);
        p[K + i] = at_p[i];
        q[K + i] = at_q[i];
        p[2 * K + i] = q[2 * K + i] = nu[i];
        p[3 * K + i] = q[3 * K + i] = smoe_normal_log_density(0, 0, nu[i]);
    }
    long double v = 0, last = 0, below;
    int crossings = 0;
    for (long double y = -48; y < 48; y += 1.0L / 64) {
        long double a = y, b = y + 1.0L / 64;
        const bool up = difference(K, p, q, a, &below) < 0;
        if (up != (difference(K, p, q, b, &below) >= 0)) continue;
        for (int halvings = 0; halvings < 80; halvings++) {
            const long double middle = (a + b) / 2;
            if ((difference(K, p, q, middle, &below) < 0) == up)
                a = middle;
            else
                b = middle;
        }
        difference(K, p, q, a, &below);
        v += fabsl(below - last) / 2;
        last = below;
        crossings++;
    }
    v += fabsl(last) / 2;
    ck_assert_int_eq(crossings, 3);
    OK(smoe_mixture_distance(K, p, K, q, work, &V, &h2, error));
    ck_assert_msg(fabs(V - (double)v) <= error[0] && error[0] < 1e-12, "T.8: V is %.17g, not %.17g, within %g", V, (double)v,
                  error[0]);
}
END_TEST

/* Pairs of atoms of one variance cross halfway, which is where a panel is first cut, and p = q at that very point.  Either side is
 * clear then: with 25 splits for each crossing, 4,096 would not do. */
START_TEST(crossings_at_an_end_take_no_splits)
{
    enum { PAIRS = 200 };
    double p[4 * PAIRS], q[4 * PAIRS], work[10 * PAIRS], V, h2, error[2];
    for (size_t i = 0; i < PAIRS; i++) {
        p[i] = q[i] = -smoe_log(PAIRS);
        p[PAIRS + i] = 64 * (double)i;
        q[PAIRS + i] = 64 * (double)i + 2;
        p[2 * PAIRS + i] = q[2 * PAIRS + i] = 1;
        p[3 * PAIRS + i] = q[3 * PAIRS + i] = smoe_normal_log_density(0, 0, 1);
    }
    OK(smoe_mixture_distance(PAIRS, p, PAIRS, q, work, &V, &h2, error)); /* 2 Phi(1) - 1, 1 - e^(-1/2) */
    ck_assert_msg(fabs(V - 0.682689492137085897) <= error[0] && fabs(h2 - 0.393469340287366577) <= error[1],
                  "T.8: %.17g and %.17g within %g and %g", V, h2, error[0], error[1]);
    ck_assert_msg(error[0] < 1e-10 && error[1] < 1e-10, "T.8: claims of %g and %g only", error[0], error[1]);
}
END_TEST

/* The claim has a unit roundoff for each addition, five at each of 20,000 cuts, and hardly any splits: the 2,000 atoms of either
 * model are equal.  V = 1 to 1e-12; noise is known apart; what panels and halves differ by is half a rounding a cut. */
START_TEST(additions_are_in_the_claim)
{
    enum { EQUAL = 2000 };
    double *p = calloc(18 * EQUAL, sizeof *p), *q = p + 4 * EQUAL, *work = q + 4 * EQUAL, V, h2, error[2];
    ck_assert_ptr_nonnull(p);
    for (size_t i = 0; i < EQUAL; i++) {
        p[i] = q[i] = -smoe_log(EQUAL);
        q[EQUAL + i] = 64;
        p[2 * EQUAL + i] = q[2 * EQUAL + i] = 1;
        p[3 * EQUAL + i] = q[3 * EQUAL + i] = smoe_normal_log_density(0, 0, 1);
    }
    OK(smoe_mixture_distance(EQUAL, p, EQUAL, q, work, &V, &h2, error));
    const double noise = smoe_mixture_noise(EQUAL, p, 76) + smoe_mixture_noise(EQUAL, q, 76);
    const double additions = (error[0] - 0.5 * noise) * 0x1p53, cuts = 10 * EQUAL;
    ck_assert_msg(additions >= 5 * cuts && additions < 5.75 * cuts, "T.8: a claim of %g roundings", additions);
    free(p);
}
END_TEST

/* The rule with 10 points on [0,3] and that on its halves differ by 1.0406e-12 of the mass there, for a normal density (computed apart,
 * in 64 bits).  At atoms 1,100 apart tau is 9.83e-13: panels are cut, and their halves agree.  At 1,250 it is 1.083e-12: they are left,
 * and the difference is claimed. */
START_TEST(panels_are_left_at_tau)
{
    const double c = smoe_normal_log_density(0, 0, 1);
    double work[10], V, h2, error[2];
    for (int left = 0; left < 2; left++) {
        const double apart = left ? 1250 : 1100, p[] = {0, 0, 1, c}, q[] = {0, apart, 1, c};
        OK(smoe_mixture_distance(1, p, 1, q, work, &V, &h2, error));
        const double noise = smoe_mixture_noise(1, p, apart + 12) + smoe_mixture_noise(1, q, apart + 12);
        const double tau = 0x1p-42 + noise, off = error[0] - noise / 2,
                     off2 = error[1] - noise * (2 * sqrt(h2) + noise);
        ck_assert_msg(left ? tau > 1.08e-12 && tau < 1.086e-12 : tau > 9.8e-13 && tau < 9.86e-13, "T.8: tau is %g",
                      tau);
        ck_assert_msg(left ? off > 1.03e-12 && off < 1.08e-12 : off < 2e-14, "T.8: off by %g at tau = %g", off, tau);
        ck_assert_msg(left ? off2 > 1.03e-12 && off2 < 1.08e-12 : off2 < 2e-14, "T.8: h^2 is off by %g at tau = %g",
                      off2, tau);
    }
}
END_TEST

/* 16 k + 2 H; of both models, and 9 for each atom of either; + k p + k (d+1)(d+3). */
START_TEST(workspaces_by_hand)
{
    const smoe_mix_shape hidden = {.gate = SMOE_MIX_SOFTMAX, .expert = SMOE_MIX_TANH, .k = 3, .d = 2, .H = 5};
    const smoe_mix_shape line = {.gate = SMOE_MIX_SOFTMAX, .free_weights = true, .k = 4, .d = 2};
    ck_assert_uint_eq(smoe_mix_work(&hidden), 58);
    ck_assert_uint_eq(smoe_mix_work(&line), 64);
    ck_assert_uint_eq(smoe_mix_distance_work(&hidden, &line), 58 + 64 + 9 * 7);
    ck_assert_uint_eq(smoe_mix_parameters(&line), 4 * (3 + 1 + 1 + 2));
    ck_assert_uint_eq(smoe_mix_em_work(&line), 64 + 28 + 4 * 3 * 5);
}
END_TEST

/* Half of the first expert's step from 1 to 4001 (a whole one would make its weight 0.7) leaves it 1,999 below the other: its weight is
 * e^-1999 = 0 everywhere, and what scales it to responsibilities above 0 does not exist. */
START_TEST(an_atom_without_weight_is_refused)
{
    const smoe_mix_shape two = {.gate = SMOE_MIX_NORM, .free_weights = true, .k = 2, .d = 1};
    const double theta[] = {0, 1, 1, 0, 0, 4000, 1, 0}, x[] = {-1, 1, -1, 1}, y[] = {4000, 4000, 4000, 4000};
    const double q[] = {1e-300, 1, 1e-300, 1, 1e-300, 1, 1e-300, 1};
    double work[80], next[8];
    poison_all(8, next);
    ck_assert_int_eq(smoe_mix_m_step(&two, 4, theta, x, y, q, 0x1p-20, work, next), SMOE_EDOM);
    ck_assert_msg(untouched(8, next), "T.12 wrote in spite of an error");
}
END_TEST

/* y = 1 + 2 x_0 + 3 x_1 at the corners of a square, in units of 2^-30, 1 and 2^30: slopes change with the unit, and nothing else.  In
 * no unit do points say anything of x_1 that are off the diagonal by 2^-24 of it. */
/* evidence hand: T.12 */
START_TEST(units_of_x_do_not_matter)
{
    const smoe_mix_shape one = {.gate = SMOE_MIX_NORM, .k = 1, .d = 2};
    const double theta[] = {0, 0, 0, 1}, q[] = {1, 1, 1, 1}, y[] = {1, 3, 4, 6};
    double work[80], g[3];
    ck_assert_uint_le(smoe_mix_em_work(&one), 80);
    for (double u = 0x1p-30; u <= 0x1p30; u *= 0x1p30) {
        const double square[] = {0, 0, u, 0, 0, u, u, u}, off = 2 * u * (1 + 0x1p-24);
        const double line[] = {0, 0, u, u, 2 * u, off, 3 * u, 3 * u};
        OK(smoe_mix_em_direction(&one, 4, theta, square, y, q, work, g));
        NEAR(g[0] * u, 2, 4, "T.12 a_0");
        NEAR(g[1] * u, 3, 4, "T.12 a_1");
        NEAR(g[2], 1, 4, "T.12 b");
        ck_assert_int_eq(smoe_mix_em_direction(&one, 4, theta, line, y, q, work, g), SMOE_EDOM);
    }
}
END_TEST

enum { KS = 2, KM = 4, WIDE = 3 };

/* Truth and atoms near it with cells (0,0,1,1), or one of each. */
static void near_truth(uint64_t seed, double *truth, double *atoms, double *beta0, double *beta0star)
{
    slopes_fill(&seed, 0.3, KS * WIDE, truth);
    truth[0] -= 2;
    truth[WIDE] += 2;
    for (size_t i = 0; i < KM; i++)
        for (size_t l = 0; l < WIDE; l++) atoms[i * WIDE + l] = truth[i / 2 * WIDE + l] + 0.1 * slopes_draw(&seed);
    slopes_fill(&seed, 1, KM, beta0);
    slopes_fill(&seed, 1, KS, beta0star);
}

static double loss_of(bool over, size_t k, const double *atoms, const double *truth, const double *beta0,
                      const double *beta0star)
{
    const size_t width[] = {1, 1, 1};
    const double power[] = {2, 0, 0}, times[] = {0, 1, 0.5};
    size_t cell[KM];
    double work[WIDE], loss;
    OK(smoe_voronoi_cells(k, KS, WIDE, atoms, truth, work, cell, NULL));
    if (over)
        OK(smoe_voronoi_over(k, KS, WIDE, atoms, truth, beta0, beta0star, cell, 3, width, power, times, work, &loss));
    else
        OK(smoe_voronoi_exact(k, KS, WIDE, atoms, truth, beta0, beta0star, cell, work, &loss));
    return loss;
}

/* Both losses do not see the order of the atoms, nor of the true ones; are 0 for the truth itself, also with split
 * atoms, and above 0 for anything else; with one atom a cell they agree, bit for bit. */
/* evidence properties: T.9 T.10 T.11 */
START_TEST(losses_see_the_measure)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        double truth[KS * WIDE], atoms[KM * WIDE], beta0[KM], star[KS], shuffled[KM * WIDE], beta_s[KM],
            swapped[KS * WIDE];
        near_truth(seed, truth, atoms, beta0, star);
        const size_t order[KM] = {2, 0, 3, 1};
        for (size_t i = 0; i < KM; i++) {
            memcpy(shuffled + i * WIDE, atoms + order[i] * WIDE, WIDE * sizeof *atoms);
            beta_s[i] = beta0[order[i]];
        }
        memcpy(swapped, truth + WIDE, WIDE * sizeof *truth);
        memcpy(swapped + WIDE, truth, WIDE * sizeof *truth);
        const double star_s[] = {star[1], star[0]};
        for (int over = 0; over < 2; over++) {
            const double D = loss_of(over, KM, atoms, truth, beta0, star);
            ck_assert_msg(D > 1e-3, "T.1%d: %g for another measure", over, D);
            ck_assert_msg(near(loss_of(over, KM, shuffled, truth, beta_s, star), D, 8), "T.1%d: order of the atoms",
                          over);
            ck_assert_msg(near(loss_of(over, KM, atoms, swapped, beta0, star_s), D, 8), "T.1%d: order of the truth",
                          over);
            double split[KM * WIDE], half[KM];
            for (size_t i = 0; i < KM; i++) {
                memcpy(split + i * WIDE, truth + i / 2 * WIDE, WIDE * sizeof *split);
                half[i] = star[i / 2] - 0x1.62e42fefa39efp-1;
            }
            ck_assert_msg(loss_of(over, KM, split, truth, half, star) < 1e-15, "T.1%d: split atoms", over);
            ck_assert_msg(loss_of(over, KS, truth, truth, star, star) == 0, "T.1%d: the truth itself", over);
            for (size_t j = 0; j < KS * WIDE; j++) { /* any one coordinate off */
                double off[KS * WIDE];
                memcpy(off, truth, sizeof off);
                off[j] += 0x1p-500;
                off[j] += off[j] == truth[j] ? 0x1p-30 : 0;
                ck_assert_msg(loss_of(over, KS, off, truth, star, star) > 0, "T.1%d: blind to [%zu]", over, j);
            }
            ck_assert_msg(loss_of(over, KS, truth, truth, star_s, star) > 0 || star[0] == star[1], "T.1%d: weights",
                          over);
        }
        double pair[KS * WIDE];
        memcpy(pair, atoms, WIDE * sizeof *pair);
        memcpy(pair + WIDE, atoms + 2 * WIDE, WIDE * sizeof *pair);
        ck_assert_msg(loss_of(true, KS, pair, truth, beta0, star) == loss_of(false, KS, pair, truth, beta0, star),
                      "T.11: one atom a cell, and not D1");
    }
}
END_TEST

/* sum_j p_j e^(a_j s + b_j s^2): its coefficient of s^order, for two atoms. */
static double coefficient(double p, double a, double b, int order)
{
    double sum = 0; /* sum over n1 + 2 n2 = order of a^n1 b^n2 / (n1! n2!) */
    for (int n2 = 0; 2 * n2 <= order; n2++) {
        double term = p;
        for (int j = 1; j <= order - 2 * n2; j++) term *= a / j;
        for (int j = 1; j <= n2; j++) term *= b / j;
        sum += term;
    }
    return sum;
}

/* r(2) = 4: the solution of orders 1 to 3 from spec (T.11) leaves P (P - 1) / 36 in order 4. */
/* evidence properties: T.11 */
START_TEST(two_merged_atoms_cancel_three_orders)
{
    for (double p = 0.05; p < 0.96; p += 0.09) {
        const double P = p * (1 - p), delta = (p - (1 - p)) / 6, b1 = -P / 2 + (1 - p) * delta, b2 = -P / 2 - p * delta;
        for (int order = 1; order <= 4; order++) {
            const double c = coefficient(p, 1 - p, b1, order) + coefficient(1 - p, -p, b2, order);
            const double want = order < 4 ? 0 : P * (P - 1) / 36;
            ck_assert_msg(fabs(c - want) < 1e-16, "T.11: weights %g: order %d leaves %g, not %g", p, order, c, want);
        }
    }
}
END_TEST

/* n samples of a model with linear experts near (2x+1, -x-1), from our own draws. */
static void draw_sample(const smoe_mix_shape *s, const double *theta, uint64_t seed, size_t n, double *x, double *y,
                        size_t *label)
{
    static double u[3000], z[3000];
    double work[MOST];
    slopes_fill(&seed, 1, n * s->d, x);
    for (size_t t = 0; t < n; t++) {
        double sum = 0; /* of twelve uniforms on (-1/2, 1/2): variance 1 */
        for (int j = 0; j < 12; j++) sum += slopes_draw(&seed) / 2;
        z[t] = sum;
        u[t] = (1 + slopes_draw(&seed)) / 2;
    }
    OK(smoe_mix_sample(s, n, theta, x, u, z, work, label, NULL, y));
}

/* Every step raises L, and raises Q at its own responsibilities; at the end the score is small and a step changes
 * little. */
/* evidence properties: T.12 */
START_TEST(em_climbs)
{
    enum { MANY = 300 };
    const size_t n = light() ? 60 : MANY;
    const int steps = light() ? 60 : 300;
    static double x[MANY], y[MANY], q[2 * MANY];
    static size_t label[MANY];
    const smoe_mix_shape s = {.gate = (smoe_mix_gate)(_i & 3), .free_weights = _i >> 2, .k = 2, .d = 1};
    const size_t p = smoe_mix_stride(&s);
    double truth[10] = {0}, theta[10], next[10], work[2 * MOST], last = -INFINITY, L, before = 0, after = 0, score[10];
    memcpy(truth, ((double[]){2, 1, 0.25}), 3 * sizeof *truth);
    memcpy(truth + p, ((double[]){-1, -1, 0.25}), 3 * sizeof *truth);
    if (s.gate == SMOE_MIX_SOFTMAX) truth[smoe_mix_beta1_at(&s)] = 1;
    draw_sample(&s, truth, 19, n, x, y, label);
    memcpy(theta, truth, sizeof theta);
    theta[0] -= 0.7, theta[1] += 0.4, theta[2] = 1, theta[p + 1] -= 0.5;
    for (int step = 0; step < steps; step++) {
        OK(smoe_mix_em_step(&s, n, theta, x, y, 1e-3, work, q, next, &L));
        ck_assert_msg(L >= last - 1e-13, "T.12, %s: step %d lowers L from %.17g to %.17g", name_of(&s), step, last, L);
        if (step < 20) OK(smoe_mix_complete_loglik(&s, n, theta, x, y, q, work, &before));
        if (step < 20) OK(smoe_mix_complete_loglik(&s, n, next, x, y, q, work, &after));
        ck_assert_msg(step >= 20 || after >= before - 1e-13, "T.12, %s: step %d lowers Q by %g", name_of(&s), step,
                      before - after);
        bool rows = true;
        for (size_t t = 0; t < n; t++) rows = rows && near(q[2 * t] + q[2 * t + 1], 1, 2);
        ck_assert_msg(rows, "T.12: a row of q does not sum to 1");
        memcpy(theta, next, sizeof theta);
        last = L;
    }
    OK(smoe_mix_loglik_score(&s, n, theta, x, y, work, &L, score));
    for (size_t j = 0; j < 2 * p; j++)
        ck_assert_msg(fabs(score[j]) < 1e-4, "T.12, %s: score[%zu] is %g after %d steps", name_of(&s), j, score[j],
                      steps);
}
END_TEST

/* Where the gate pulls hard (variance 25) the full step overshoots: it is halved until Q does not fall. */
START_TEST(em_halves_its_step)
{
    enum { n = 60 };
    static double x[n], y[n], q[2 * n];
    static size_t label[n];
    const double truth[] = {2, 1, 0.25, -1, -1, 0.25}, theta[] = {0.5, 2, 25, -0.5, -0.5, 25};
    double work[2 * MOST], direction[4], full[6], next[6], L, before, after, whole;
    draw_sample(&norm1, truth, 22, n, x, y, label);
    OK(smoe_mix_em_step(&norm1, n, theta, x, y, 1e-3, work, q, next, &L));
    OK(smoe_mix_em_direction(&norm1, n, theta, x, y, q, work, direction));
    for (size_t j = 0; j < 6; j++) full[j] = theta[j] + (j % 3 < 2 ? direction[j / 3 * 2 + j % 3] : 0);
    next[2] = next[5] = 25; /* the experts' step alone */
    OK(smoe_mix_complete_loglik(&norm1, n, theta, x, y, q, work, &before));
    OK(smoe_mix_complete_loglik(&norm1, n, next, x, y, q, work, &after));
    OK(smoe_mix_complete_loglik(&norm1, n, full, x, y, q, work, &whole));
    ck_assert_msg(whole < before, "T.12: this case shows nothing: the full step takes Q from %g to %g", before, whole);
    ck_assert_msg(after >= before, "T.12: the experts' step lowers Q from %.17g to %.17g", before, after);
    const double part = (next[0] - theta[0]) / direction[0];
    ck_assert_msg(part == 0.5 || part == 0.25 || (part > 0 && part < 0.2), "T.12: a step of %g directions", part);
}
END_TEST

/* Residuals of an atom are orthogonal to (x, 1); the estimate moves with y -> 3y + x + 5; far-away x do no harm.
 * Complete-data M-steps from the oracle climb. */
/* evidence properties: T.13 */
START_TEST(oracle_is_least_squares)
{
    enum { n = 400 };
    static double x[n], y[n], y2[n], q[2 * n];
    static size_t label[n];
    const smoe_mix_shape s = norm1;
    const double truth[] = {2, 1, 0.25, -1, -1, 0.25};
    double work[2 * MOST], eta[6], eta2[6], next[6], before, after;
    draw_sample(&s, truth, 20, n, x, y, label);
    OK(smoe_oracle(n, 2, 1, x, y, label, work, eta));
    for (size_t i = 0; i < 2; i++) {
        double sum = 0, with_x = 0;
        for (size_t t = 0; t < n; t++) {
            const double r = label[t] == i ? y[t] - (eta[3 * i] * x[t] + eta[3 * i + 1]) : 0;
            sum += r;
            with_x += r * x[t];
        }
        ck_assert_msg(fabs(sum) < 1e-11 && fabs(with_x) < 1e-11, "T.13: residuals sum to %g, %g", sum, with_x);
    }
    for (size_t j = 0; j < 6; j++)
        ck_assert_msg(fabs(eta[j] - truth[j]) < 0.3, "T.13: [%zu] is %g, the truth is %g", j, eta[j], truth[j]);
    for (size_t t = 0; t < n; t++) y2[t] = 3 * y[t] + x[t] + 5;
    OK(smoe_oracle(n, 2, 1, x, y2, label, work, eta2));
    for (size_t i = 0; i < 2; i++) {
        ck_assert_msg(near(eta2[3 * i], 3 * eta[3 * i] + 1, 64), "T.13: a");
        ck_assert_msg(near(eta2[3 * i + 1], 3 * eta[3 * i + 1] + 5, 64), "T.13: b");
        ck_assert_msg(near(eta2[3 * i + 2], 9 * eta[3 * i + 2], 64), "T.13: nu");
    }
    for (size_t t = 0; t < n; t++) x[t] += 0x1p20; /* exact up to 2^-32 */
    OK(smoe_oracle(n, 2, 1, x, y, label, work, eta2));
    ck_assert_msg(fabs(eta2[0] - eta[0]) < 1e-7 && fabs(eta2[2] - eta[2]) < 1e-7, "T.13: x far away");
    for (size_t t = 0; t < n; t++) {
        x[t] -= 0x1p20;
        q[2 * t] = label[t] == 0;
        q[2 * t + 1] = label[t] == 1;
    }
    OK(smoe_mix_complete_loglik(&s, n, eta, x, y, q, work, &before));
    OK(smoe_mix_m_step(&s, n, eta, x, y, q, 1e-3, work, next));
    OK(smoe_mix_complete_loglik(&s, n, next, x, y, q, work, &after));
    ck_assert_msg(after > before, "T.13: labels say nothing about (a,b) beyond least squares: %.17g, %.17g", before,
                  after);
}
END_TEST

/* Ranks of the derivatives at n points: full for one unit, and for two that are no mirror images; short for linear
 * experts and for (w,c), (-w,-c). */
/* evidence properties: T.14 */
START_TEST(mirror_images_are_not_identifiable)
{
    enum { n = 80, m = 12 };
    const smoe_mix_expert expert = (smoe_mix_expert)_i;
    const double w[] = {1, -1}, w_other[] = {1, -1.75}, c[] = {0.5, -0.5}, c_other[] = {0.5, 0.25};
    static double x[n], M[n * m];
    double s[m], error;
    size_t rank[3] = {0};
    for (size_t t = 0; t < n; t++) x[t] = -4 + 8 * ((double)t + 0.5) / n;
    for (int family = 0; family < 3; family++) {
        const size_t atoms = family == 0 ? 1 : 2;
        OK(smoe_identifiability_matrix(expert, atoms, 1, n, family == 2 ? w : w_other, family == 2 ? c : c_other, x,
                                       M));
        OK(smoe_singular_values(n, 6 * atoms, M, s, &error));
        ck_assert_msg(error < 1e-9, "T.14: the error bound is %g", error);
        double squares = 0;
        for (size_t j = 0; j < 6 * atoms; j++) {
            rank[family] += s[j] > error;
            squares += s[j] * s[j];
            ck_assert_msg(j == 0 || s[j] <= s[j - 1], "T.14: not descending");
        }
        ck_assert_msg(fabs(squares - (expert == SMOE_MIX_LINEAR ? 3.0 : 6.0) * (double)atoms) < 1e-12, "T.14: norms");
    }
    if (expert == SMOE_MIX_LINEAR)
        ck_assert_msg(rank[0] == 2 && rank[1] == 2, "T.14: linear experts have rank %zu, %zu", rank[0], rank[1]);
    else
        ck_assert_msg(rank[0] == 6 && rank[1] == 12 && rank[2] < 12, "T.14: ranks %zu %zu %zu", rank[0], rank[1],
                      rank[2]);
}
END_TEST

/* Orthogonal mixes of known columns: A = U diag(s) V' by two reflections has the singular values s. */
START_TEST(singular_values_are_right)
{
    enum { n = 7, m = 4 };
    double A[n * m], s[m], error, u[n], v[m];
    uint64_t seed = 21;
    for (int trial = 0; trial < 20; trial++) {
        double uu = 0;
        slopes_fill(&seed, 1, n, u);
        for (size_t t = 0; t < n; t++) uu += u[t] * u[t];
        for (size_t j = 0; j < m; j++) v[j] = 0.5; /* its reflection mixes all columns to equal norms 1/2 of each */
        for (size_t t = 0; t < n; t++)
            for (size_t j = 0; j < m; j++) {
                double sum = 0; /* (I - 2uu'/uu) [diag(4,2,1,1/16); 0] (I - 2vv'), v'v = 1, scaled below */
                for (size_t l = 0; l < m; l++) {
                    const double d = (double[]){4, 2, 1, 0.0625}[l];
                    sum += ((t == l) - 2 * u[t] * u[l] / uu) * d * ((l == j) - 2 * v[l] * v[j]);
                }
                A[t * m + j] = sum;
            }
        OK(smoe_singular_values(n, m, A, s, &error)); /* columns have norm |d|/2 each: all scaled by the same */
        const double norm = sqrt(16 + 4 + 1 + 0.00390625) / 2;
        for (size_t j = 0; j < m; j++)
            ck_assert_msg(fabs(s[j] - (double[]){4, 2, 1, 0.0625}[j] / norm) <= error, "T.14: s[%zu] is %.17g", j,
                          s[j]);
    }
}
END_TEST

/* Twice the truth has its density without free weights, three atoms of two do not, with free weights they do. */
/* evidence properties: T.15 */
START_TEST(only_multiples_contain_the_truth)
{
    for (int gate = 0; gate < 3; gate++) {
        double at[4][16], theta[16], work[80];
        const double truth[] = {2, 1, 0.25, -1, -1, 0.25}, x = 0.3;
        for (size_t k = 2; k <= 4; k++) {
            const smoe_mix_shape s = {.gate = (smoe_mix_gate)gate, .k = k, .d = 1};
            for (size_t i = 0; i < k; i++) memcpy(theta + 3 * i, truth + i % 2 * 3, 3 * sizeof *theta);
            OK(smoe_mix_at(&s, theta, &x, work, at[k - 1], NULL));
        }
        const smoe_mix_shape free_shape = {.gate = (smoe_mix_gate)gate, .free_weights = true, .k = 3, .d = 1};
        for (size_t i = 0; i < 3; i++) {
            memcpy(theta + 4 * i, truth + i % 2 * 3, 3 * sizeof *theta);
            theta[4 * i + 3] = i == 1 ? 0 : -0x1.62e42fefa39efp-1;
        }
        OK(smoe_mix_at(&free_shape, theta, &x, work, at[0], NULL));
        ck_assert_msg(simpson(at[1], 2, at[3], 4, false, -8, 8) < 1e-14, "T.15: twice the truth is another density");
        ck_assert_msg(simpson(at[1], 2, at[0], 3, false, -8, 8) < 1e-14, "T.15: free weights do not help");
        ck_assert_msg(simpson(at[1], 2, at[2], 3, false, -8, 8) > 0.05, "T.15: three atoms of two have the density");
    }
}
END_TEST

/* --- errors --- */

static const double bad_value[] = {NAN, INFINITY, -INFINITY};

START_TEST(shape_errors)
{
    const smoe_mix_shape bad[] = {{.k = 0, .d = 1},
                                  {.k = 1, .d = 0},
                                  {.k = 1, .d = 1, .topk = 2},
                                  {.k = 1, .d = 1, .H = 1},
                                  {.expert = SMOE_MIX_TANH, .k = 1, .d = 1},
                                  {.gate = (smoe_mix_gate)4, .k = 1, .d = 1},
                                  {.expert = (smoe_mix_expert)4, .k = 1, .d = 1, .H = 1}};
    double theta[8] = {0, 0, 1}, out[8], work[80], margin, x = 0, y = 0, q = 1;
    size_t label = 99;
    poison_all(8, out);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const smoe_mix_shape *s = &bad[i];
        ck_assert_int_eq(smoe_mix_check(s), SMOE_EINVAL);
        ck_assert_int_eq(smoe_mix_mean(s, theta, &x, work, out), SMOE_EINVAL);
        ck_assert_int_eq(smoe_mix_mean_vjp(s, theta, &x, 1, out, out + 4), SMOE_EINVAL);
        ck_assert_int_eq(smoe_mix_at(s, theta, &x, work, out, &margin), SMOE_EINVAL);
        ck_assert_int_eq(smoe_mix_weights(s, theta, &x, work, out, &margin), SMOE_EINVAL);
        ck_assert_int_eq(smoe_mix_loglik(s, 1, theta, &x, &y, work, out), SMOE_EINVAL);
        ck_assert_int_eq(smoe_mix_loglik_vjp(s, 1, theta, &x, &y, 1, work, out, out + 4, out + 5), SMOE_EINVAL);
        ck_assert_int_eq(smoe_mix_loglik_score(s, 1, theta, &x, &y, work, out, out + 1), SMOE_EINVAL);
        ck_assert_int_eq(smoe_mix_log_density(s, theta, &x, y, work, out), SMOE_EINVAL);
        ck_assert_int_eq(smoe_mix_log_density_vjp(s, theta, &x, y, 1, work, out, NULL, NULL), SMOE_EINVAL);
        ck_assert_int_eq(smoe_mix_hvp(s, 1, theta, theta, &x, &y, work, out), SMOE_EINVAL);
        ck_assert_int_eq(smoe_mix_sample(s, 1, theta, &x, &x, &x, work, &label, out, out + 1), SMOE_EINVAL);
        ck_assert_int_eq(smoe_mix_normal_form(s, out), SMOE_EINVAL);
        ck_assert_int_eq(smoe_mix_atoms(s, theta, out, out + 4), SMOE_EINVAL);
        ck_assert_int_eq(smoe_mix_responsibilities(s, 1, theta, &x, &y, work, out, out + 1), SMOE_EINVAL);
        ck_assert_int_eq(smoe_mix_complete_loglik(s, 1, theta, &x, &y, &q, work, out), SMOE_EINVAL);
        ck_assert_int_eq(smoe_mix_m_step(s, 1, theta, &x, &y, &q, 1, work, out), SMOE_EINVAL);
        ck_assert_int_eq(smoe_mix_em_step(s, 1, theta, &x, &y, 1, work, out, out + 1, out + 7), SMOE_EINVAL);
        ck_assert_int_eq(smoe_mix_em_direction(s, 1, theta, &x, &y, &q, work, out), SMOE_EINVAL);
        ck_assert_int_eq(smoe_mix_em_variances(s, 1, theta, &x, &y, &q, out), SMOE_EINVAL);
    }
    ck_assert_msg(untouched(8, out) && label == 99, "a bad shape, and yet something was written");
}
END_TEST

/* NaN and infinity in every input, a variance of 0 or below. */
START_TEST(value_errors)
{
    const smoe_mix_shape *s = &norm1;
    const double bad = bad_value[_i], good[] = {1, 0, 1, -1, 0, 1}, x[] = {1, 2}, y[] = {0, 1}, q[] = {1, 0, 1, 0};
    double out[12], work[100], margin, wrong[6], bx[] = {1, bad}, by[] = {1, bad};
    size_t label[2];
    poison_all(12, out);
    for (size_t j = 0; j < 8; j++) { /* each parameter, then variances 0 and -1 */
        memcpy(wrong, good, sizeof wrong);
        wrong[j < 6 ? j : 2] = j < 6 ? bad : 6 - (double)j;
        if (j < 2) {
            ck_assert_int_eq(smoe_mix_mean(s, wrong, x, work, out), SMOE_EDOM);
            ck_assert_int_eq(smoe_mix_mean_vjp(s, wrong, x, 1, out, out + 4), SMOE_EDOM);
        }
        ck_assert_int_eq(smoe_mix_at(s, wrong, x, work, out, &margin), SMOE_EDOM);
        ck_assert_int_eq(smoe_mix_weights(s, wrong, x, work, out, &margin), SMOE_EDOM);
        ck_assert_int_eq(smoe_mix_loglik(s, 2, wrong, x, y, work, out), SMOE_EDOM);
        ck_assert_int_eq(smoe_mix_loglik_vjp(s, 2, wrong, x, y, 1, work, out, out + 6, out + 8), SMOE_EDOM);
        ck_assert_int_eq(smoe_mix_loglik_score(s, 2, wrong, x, y, work, out, out + 1), SMOE_EDOM);
        ck_assert_int_eq(smoe_mix_hvp(s, 2, wrong, good, x, y, work, out), SMOE_EDOM);
        if (j < 6) ck_assert_int_eq(smoe_mix_hvp(s, 2, good, wrong, x, y, work, out), SMOE_EDOM);
        ck_assert_int_eq(smoe_mix_sample(s, 1, wrong, x, (double[]){0.5}, x, work, label, NULL, out), SMOE_EDOM);
        ck_assert_int_eq(smoe_mix_normal_form(s, wrong), SMOE_EDOM);
        ck_assert_int_eq(smoe_mix_atoms(s, wrong, out, out + 6), SMOE_EDOM);
        ck_assert_int_eq(smoe_mix_responsibilities(s, 2, wrong, x, y, work, out, out + 4), SMOE_EDOM);
        ck_assert_int_eq(smoe_mix_complete_loglik(s, 2, wrong, x, y, q, work, out), SMOE_EDOM);
        ck_assert_int_eq(smoe_mix_m_step(s, 2, wrong, x, y, q, 1, work, out), SMOE_EDOM);
        ck_assert_int_eq(smoe_mix_em_direction(s, 2, wrong, x, y, q, work, out), SMOE_EDOM);
        ck_assert_int_eq(smoe_mix_em_variances(s, 2, wrong, x, y, q, out), SMOE_EDOM);
        ck_assert_int_eq(smoe_mix_em_step(s, 2, wrong, x, y, 1, work, out, out + 4, out + 11), SMOE_EDOM);
    }
    ck_assert_int_eq(smoe_mix_mean(s, good, &bad, work, out), SMOE_EDOM);
    ck_assert_int_eq(smoe_mix_mean_vjp(s, good, &bad, 1, out, out + 4), SMOE_EDOM);
    ck_assert_int_eq(smoe_mix_mean_vjp(s, good, x, bad, out, out + 4), SMOE_EDOM);
    ck_assert_int_eq(smoe_mix_at(s, good, &bad, work, out, &margin), SMOE_EDOM);
    ck_assert_int_eq(smoe_mix_weights(s, good, &bad, work, out, &margin), SMOE_EDOM);
    ck_assert_int_eq(smoe_mix_loglik(s, 2, good, bx, y, work, out), SMOE_EDOM);
    ck_assert_int_eq(smoe_mix_loglik(s, 2, good, x, by, work, out), SMOE_EDOM);
    ck_assert_int_eq(smoe_mix_loglik_vjp(s, 2, good, x, y, bad, work, out, NULL, NULL), SMOE_EDOM);
    ck_assert_int_eq(smoe_mix_hvp(s, 2, good, good, bx, y, work, out), SMOE_EDOM);
    ck_assert_int_eq(smoe_mix_sample(s, 1, good, x, &bad, x, work, label, NULL, out), SMOE_EDOM);
    ck_assert_int_eq(smoe_mix_sample(s, 1, good, x, (double[]){1}, x, work, label, NULL, out), SMOE_EDOM);
    ck_assert_int_eq(smoe_mix_sample(s, 1, good, x, (double[]){-0.1}, x, work, label, NULL, out), SMOE_EDOM);
    ck_assert_int_eq(smoe_mix_sample(s, 1, good, x, (double[]){0.5}, &bad, work, label, NULL, out), SMOE_EDOM);
    ck_assert_int_eq(smoe_mix_sample(s, 1, good, &bad, (double[]){0.5}, x, work, label, NULL, out), SMOE_EDOM);
    ck_assert_int_eq(smoe_mix_complete_loglik(s, 2, good, x, y, (double[]){1, 0, 1, bad}, work, out), SMOE_EDOM);
    ck_assert_int_eq(smoe_mix_complete_loglik(s, 2, good, x, y, (double[]){1, 0, 1, 1.5}, work, out), SMOE_EDOM);
    ck_assert_int_eq(smoe_mix_m_step(s, 2, good, x, y, (double[]){1, 0, 1, -1}, 1, work, out), SMOE_EDOM);
    ck_assert_int_eq(smoe_mix_m_step(s, 2, good, x, y, q, bad, work, out), SMOE_EDOM);
    ck_assert_int_eq(smoe_mix_em_variances(s, 2, good, x, y, (double[]){0, bad, 0, 1}, out), SMOE_EDOM);
    ck_assert_int_eq(smoe_mix_m_step(s, 2, good, x, y, q, 0, work, out), SMOE_EDOM);
    ck_assert_int_eq(smoe_mix_loglik(s, 0, good, x, y, work, out), SMOE_EINVAL);
    ck_assert_int_eq(smoe_mix_responsibilities(s, 0, good, x, y, work, out, out + 1), SMOE_EINVAL);
    ck_assert_msg(untouched(12, out), "a value out of range, and yet something was written");
}
END_TEST

START_TEST(overflow_is_said)
{
    const double far[] = {0, 0x1p600, 1, 0, 0x1p600, 1}, steep[] = {0x1p1000, 0, 1, 0x1p1000, 0, 1}, x[] = {0x1p100},
                 y[] = {0};
    const double near_zero[] = {0, 0, 0x1p-1060, 0, 0, 0x1p-1060}, one[] = {0x1p-529};
    double out[8], work[80], margin;
    size_t label;
    const smoe_mix_shape *s = &norm1;
    ck_assert_int_eq(smoe_mix_loglik(s, 1, far, x, y, work, out), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_mix_loglik_score(s, 1, far, x, y, work, out, out + 1), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_mix_hvp(s, 1, far, near_zero, x, y, work, out), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_mix_responsibilities(s, 1, far, x, y, work, out, out + 2), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_mix_mean(s, steep, x, work, out), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_mix_mean_vjp(s, steep, x, 0x1p1000, out, out + 4), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_mix_at(s, steep, x, work, out, &margin), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_mix_weights(s, steep, x, work, out, &margin), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_mix_sample(s, 1, steep, x, y, y, work, &label, NULL, out), SMOE_EOVRFLW);
    ck_assert_int_eq(
        smoe_mix_sample(s, 1, (double[]){0, 0, 0x1p1000, 0, 0, 1}, y, y, (double[]){0x1p600}, work, &label, NULL, out),
        SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_mix_loglik_score(s, 1, near_zero, y, one, work, out, out + 1), SMOE_EOVRFLW); /* 1/nu^2 */
    ck_assert_int_eq(smoe_mix_loglik_vjp(s, 1, near_zero, y, one, 0x1p1000, work, out, NULL, out + 7), SMOE_EOVRFLW);
    const smoe_mix_shape free_shape = {.free_weights = true, .k = 2, .d = 1};
    double theta[] = {0, 0, 1, -0x1.8p1023, 0, 0, 1, 0x1.8p1023};
    ck_assert_int_eq(smoe_mix_normal_form(&free_shape, theta), SMOE_EOVRFLW);
}
END_TEST

/* A later atom is refused: the first has been fitted by then, and is not written all the same. */
START_TEST(refused_atoms_write_nothing)
{
    const double theta[] = {1, 0, 1, 2, 0, 1}, x[] = {0, 1, 2, 3, 1, 1, 1, 1}, y[] = {0, 1, 0, 2, 1, 2, 3, 4};
    const double line[] = {0, 1, 0, 2, 1, 3, 5, 7}, spread[] = {0, 1, 2, 3, 0, 1, 2, 3};
    const double q[] = {1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0};
    const size_t label[] = {0, 0, 0, 0, 1, 1, 1, 1}, few[] = {0, 0, 0, 0, 0, 0, 1, 1};
    double work[100], out[6];
    poison_all(6, out);
    ck_assert_int_eq(smoe_mix_em_variances(&norm1, 8, theta, x, y, q, out), SMOE_EDOM);
    ck_assert_msg(untouched(6, out), "T.12: the variance of an atom is written, of another there is none");
    ck_assert_int_eq(smoe_mix_m_step(&norm1, 8, theta, x, y, q, 1e-3, work, out), SMOE_EDOM);
    ck_assert_msg(untouched(6, out), "T.12: next is written, and an atom has no weight left");
    ck_assert_int_eq(smoe_oracle(8, 2, 1, x, y, label, work, out), SMOE_EDOM);
    ck_assert_msg(untouched(6, out), "T.13: an atom is written, and the x of another do not vary");
    ck_assert_int_eq(smoe_oracle(8, 2, 1, spread, y, few, work, out), SMOE_EDOM);
    ck_assert_msg(untouched(6, out), "T.13: an atom is written, and another has two samples");
    ck_assert_int_eq(smoe_oracle(8, 2, 1, spread, line, label, work, out), SMOE_EDOM);
    ck_assert_msg(untouched(6, out), "T.13: an atom is written, and another has no residuals");
}
END_TEST

/* The data of T.13 by hand, and a sample more before and behind, one of them of an atom that there is not: refused, though each atom has enough of its own. */
START_TEST(labels_of_no_atom_are_refused)
{
    const double x[] = {9, 0, 0, 1, 2, 2, 4, 9}, y[] = {9, 0, 5, 1, 3, 1, 4, 9};
    double work[8], eta[6];
    poison_all(6, eta);
    for (size_t last = 0; last < 2; last++) {
        const size_t label[] = {last ? 0 : 2, 0, 1, 0, 1, 0, 1, last ? 2 : 0};
        ck_assert_int_eq(smoe_oracle(8, 2, 1, x, y, label, work, eta), SMOE_EDOM);
        ck_assert_msg(untouched(6, eta), "T.13: an atom is written, and a label is of none");
    }
    const size_t label[] = {0, 0, 1, 0, 1, 0, 1, 1};
    OK(smoe_oracle(8, 2, 1, x, y, label, work, eta));
}
END_TEST

/* (T.12) is for linear experts, none of them left out of the softmax, and an atom that has no sample has no variance. */
START_TEST(em_steps_refuse)
{
    smoe_mix_shape hidden = norm1, chosen = norm1;
    hidden.expert = SMOE_MIX_TANH;
    hidden.H = 1;
    chosen.topk = 1;
    const double theta[16] = {1, 0, 1, -1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, x[] = {0, 1}, y[] = {1, 2};
    const double q[] = {1, 0, 1, 0};
    double work[200], out[4];
    poison_all(4, out);
    ck_assert_int_eq(smoe_mix_check(&hidden), SMOE_OK);
    ck_assert_int_eq(smoe_mix_check(&chosen), SMOE_OK);
    ck_assert_int_eq(smoe_mix_em_direction(&hidden, 2, theta, x, y, q, work, out), SMOE_EINVAL);
    ck_assert_int_eq(smoe_mix_em_direction(&chosen, 2, theta, x, y, q, work, out), SMOE_EINVAL);
    ck_assert_int_eq(smoe_mix_em_variances(&hidden, 2, theta, x, y, q, out), SMOE_EINVAL);
    ck_assert(untouched(4, out));
    ck_assert_int_eq(smoe_mix_em_variances(&norm1, 2, theta, x, y, q, out), SMOE_EDOM);
}
END_TEST

START_TEST(distance_errors)
{
    const smoe_mix_shape bad = {.k = 0, .d = 1}, wide = {.k = 1, .d = 2}, one = {.k = 1, .d = 1};
    const double good[] = {1, 0, 1, 1}, x[] = {1}, at_no_weight = bad_value[_i];
    double out[6], work[128];
    poison_all(6, out);
    ck_assert_int_eq(smoe_mix_distance(&bad, good, &one, good, 1, x, work, out, out + 1, out + 2, out + 4, out + 5),
                     SMOE_EINVAL);
    ck_assert_int_eq(smoe_mix_distance(&one, good, &bad, good, 1, x, work, out, out + 1, out + 2, out + 4, out + 5),
                     SMOE_EINVAL);
    ck_assert_int_eq(smoe_mix_distance(&one, good, &wide, good, 1, x, work, out, out + 1, out + 2, out + 4, out + 5),
                     SMOE_EINVAL);
    ck_assert_int_eq(smoe_mix_distance(&one, good, &one, good, 0, x, work, out, out + 1, out + 2, out + 4, out + 5),
                     SMOE_EINVAL);
    ck_assert_int_eq(
        smoe_mix_distance(&one, good, &one, good, 1, &at_no_weight, work, out, out + 1, out + 2, out + 4, out + 5),
        SMOE_EDOM);
    for (size_t j = 0; j < 4; j++) { /* each parameter, and a variance of 0 */
        double wrong[] = {1, 0, 1};
        wrong[j < 3 ? j : 2] = j < 3 ? bad_value[_i] : 0;
        ck_assert_int_eq(
            smoe_mix_distance(&one, wrong, &one, good, 1, x, work, out, out + 1, out + 2, out + 4, out + 5), SMOE_EDOM);
        ck_assert_int_eq(
            smoe_mix_distance(&one, good, &one, wrong, 1, x, work, out, out + 1, out + 2, out + 4, out + 5), SMOE_EDOM);
    }
    ck_assert_msg(untouched(6, out), "a value out of range, and yet something was written");
    const double steep[] = {0x1p1000, 0, 1}, spread[] = {0, 0x1.fp1023, 0x1p1022}, at[] = {0x1p100};
    ck_assert_int_eq(smoe_mix_distance(&one, good, &one, steep, 1, at, work, out, out + 1, NULL, out + 4, out + 5),
                     SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_mix_distance(&one, steep, &one, good, 1, at, work, out, out + 1, NULL, out + 4, out + 5),
                     SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_mix_distance(&one, spread, &one, good, 1, x, work, out, out + 1, NULL, out + 4, out + 5),
                     SMOE_EOVRFLW);
}
END_TEST

START_TEST(loss_errors)
{
    const double bad = bad_value[_i], truth[] = {0, 4}, atoms[] = {1, 2}, b[] = {0, 0}, spoilt[] = {0, bad};
    const double power[] = {2}, times[] = {0}, both[] = {0, 0};
    const size_t cell[] = {0, 1}, beyond[] = {0, 2}, width[] = {1}, wide[] = {2}, huge[] = {1, SIZE_MAX};
    size_t out_cell[2] = {9, 9};
    double out, margin[2], work[2];
    poison_all(1, &out);
    poison_all(2, margin);
    for (size_t z = 0; z < 3; z++) {
        const size_t k = z != 0 ? 2 : 0, kstar = z != 1 ? 2 : 0, m = z != 2 ? 1 : 0;
        ck_assert_int_eq(smoe_voronoi_cells(k, kstar, m, atoms, truth, work, out_cell, margin), SMOE_EINVAL);
        ck_assert_int_eq(smoe_voronoi_exact(k, kstar, m, atoms, truth, b, b, cell, work, &out), SMOE_EINVAL);
        ck_assert_int_eq(smoe_voronoi_over(k, kstar, m, atoms, truth, b, b, cell, 1, width, power, times, work, &out),
                         SMOE_EINVAL);
    }
    ck_assert_int_eq(smoe_voronoi_cells(2, 2, 1, spoilt, truth, work, out_cell, margin), SMOE_EDOM);
    ck_assert_int_eq(smoe_voronoi_cells(2, 2, 1, atoms, spoilt, work, out_cell, margin), SMOE_EDOM);
    ck_assert_int_eq(smoe_voronoi_exact(2, 2, 1, spoilt, truth, b, b, cell, work, &out), SMOE_EDOM);
    ck_assert_int_eq(smoe_voronoi_exact(2, 2, 1, atoms, spoilt, b, b, cell, work, &out), SMOE_EDOM);
    ck_assert_int_eq(smoe_voronoi_exact(2, 2, 1, atoms, truth, spoilt, b, cell, work, &out), SMOE_EDOM);
    ck_assert_int_eq(smoe_voronoi_exact(2, 2, 1, atoms, truth, b, spoilt, cell, work, &out), SMOE_EDOM);
    ck_assert_int_eq(smoe_voronoi_exact(2, 2, 1, atoms, truth, b, b, beyond, work, &out), SMOE_EDOM);
    ck_assert_int_eq(smoe_voronoi_over(2, 2, 1, atoms, truth, b, b, beyond, 1, width, power, times, work, &out),
                     SMOE_EDOM);
    ck_assert_int_eq(smoe_voronoi_over(2, 2, 1, atoms, truth, b, b, cell, 1, wide, power, times, work, &out),
                     SMOE_EINVAL);
    ck_assert_int_eq(smoe_voronoi_over(2, 2, 1, atoms, truth, b, b, cell, 2, huge, b, b, work, &out), SMOE_EINVAL);
    ck_assert_int_eq(smoe_voronoi_over(2, 2, 1, atoms, truth, b, b, cell, 0, width, power, times, work, &out),
                     SMOE_EINVAL);
    ck_assert_int_eq(smoe_voronoi_over(1, 1, 2, atoms, truth, b, b, cell, 1, width, power, times, work, &out),
                     SMOE_EINVAL);
    ck_assert_int_eq(smoe_voronoi_over(2, 2, 1, atoms, truth, b, b, cell, 1, width, both, both, work, &out), SMOE_EDOM);
    ck_assert_int_eq(smoe_voronoi_over(2, 2, 1, atoms, truth, b, b, cell, 1, width, &bad, times, work, &out),
                     SMOE_EDOM);
    ck_assert_int_eq(smoe_voronoi_over(2, 2, 1, atoms, truth, b, b, cell, 1, width, power, &bad, work, &out),
                     SMOE_EDOM);
    ck_assert_int_eq(smoe_voronoi_over(2, 0, 1, atoms, truth, b, b, cell, 1, width, &bad, times, work, &out),
                     SMOE_EINVAL);
    ck_assert_int_eq(smoe_voronoi_over(2, 2, 1, atoms, truth, b, b, cell, 1, width, (double[]){-1}, power, work, &out),
                     SMOE_EDOM);
    ck_assert_int_eq(smoe_voronoi_over(2, 2, 1, atoms, truth, b, b, cell, 1, width, power, (double[]){-1}, work, &out),
                     SMOE_EDOM);
    const double four[] = {0, 0, 0, 0};
    const size_t one_cell[] = {0, 0, 0, 0};
    ck_assert_int_eq(smoe_voronoi_order(0, &out), SMOE_EINVAL);
    ck_assert_int_eq(smoe_voronoi_order(4, &out), SMOE_EDOM);
    ck_assert_int_eq(smoe_voronoi_over(4, 1, 1, four, truth, four, b, one_cell, 1, width, times, power, work, &out),
                     SMOE_EDOM); /* r(4) is not known */
    ck_assert_msg(untouched(1, &out) && untouched(2, margin) && out_cell[0] == 9,
                  "T.9 to T.11 wrote in spite of an error");
    OK(smoe_voronoi_over(4, 1, 1, four, truth, four, b, one_cell, 1, width, power, times, work, &out));
    OK(smoe_voronoi_order(1, &out));
    ck_assert_msg(out == 1, "T.11: r(1) is %g", out);
    const double ends[] = {-0x1.8p1023, 0x1.8p1023}, high[] = {0x1.8p1023}, large[] = {710};
    ck_assert_int_eq(smoe_voronoi_cells(1, 1, 1, ends, high, work, out_cell, NULL), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_voronoi_exact(1, 1, 1, atoms, truth, large, b, cell, work, &out), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_voronoi_over(1, 1, 1, atoms, truth, large, b, cell, 1, width, power, times, work, &out),
                     SMOE_EOVRFLW);
    /* a power that is no small whole number: 2^2.5 and 2^20, half of each twice, and 0^2.5 */
    const double two[] = {2, 2}, zero[] = {0, 0}, half[] = {-0x1.62e42fefa39efp-1, -0x1.62e42fefa39efp-1};
    const size_t same[] = {0, 0};
    OK(smoe_voronoi_over(2, 1, 1, two, zero, half, zero, same, 1, width, (double[]){2.5}, times, work, &out));
    NEAR(out, 5.656854249492380195, 8, "T.11 2^2.5");
    OK(smoe_voronoi_over(2, 1, 1, two, zero, half, zero, same, 1, width, (double[]){20}, times, work, &out));
    NEAR(out, 0x1p20, 16, "T.11 2^20");
    OK(smoe_voronoi_over(2, 1, 1, zero, zero, half, zero, same, 1, width, (double[]){2.5}, times, work, &out));
    ck_assert_msg(out < 1e-15, "T.11: 0^2.5 counts %g", out);
}
END_TEST

/* Data that determine nothing: constant x, fewer samples than parameters, an atom without samples, no noise, atoms that
 * coincide. */
START_TEST(degenerate_data_get_a_status)
{
    const double x[] = {1, 1, 1, 1}, spread[] = {0, 1, 2, 3}, y[] = {0, 1, 0, 2}, line[] = {1, 3, 5, 7};
    const double bad = bad_value[_i];
    const size_t zero[] = {0, 0, 0, 0}, ones[] = {0, 0, 1, 1}, beyond[] = {0, 0, 0, 2};
    double work[100], eta[6], q[8], next[6], L;
    ck_assert_int_eq(smoe_oracle(4, 1, 1, x, y, zero, work, eta), SMOE_EDOM);
    ck_assert_int_eq(smoe_oracle(2, 1, 1, spread, y, zero, work, eta), SMOE_EDOM);
    ck_assert_int_eq(smoe_oracle(4, 2, 1, spread, y, zero, work, eta), SMOE_EDOM);
    ck_assert_int_eq(smoe_oracle(4, 2, 1, spread, y, ones, work, eta), SMOE_EDOM);
    ck_assert_int_eq(smoe_oracle(4, 1, 1, spread, line, zero, work, eta), SMOE_EDOM);
    ck_assert_int_eq(smoe_oracle(4, 2, 1, spread, y, beyond, work, eta), SMOE_EDOM);
    ck_assert_int_eq(smoe_oracle(4, 1, 1, spread, (double[]){0, 1, bad, 2}, zero, work, eta), SMOE_EDOM);
    ck_assert_int_eq(smoe_oracle(4, 1, 1, (double[]){0, 1, bad, 2}, y, zero, work, eta), SMOE_EDOM);
    const double nearly[] = {0, 0, 1, 1, 2, 2 + 0x1p-25, 3, 3}; /* collinear but for 2^-25: its square is lost */
    ck_assert_int_eq(smoe_oracle(4, 1, 2, nearly, y, zero, work, eta), SMOE_EDOM);
    /* the mean of three 0.1 is not 0.1, nor is that of four 6 with these weights 6 when it is rounded: nothing varies */
    const double tenth[] = {0.1, 0.1, 0.1}, six[] = {6, 6, 6, 6}, weight[] = {0.1, 0.2, 0.7, 0.9};
    const smoe_mix_shape alone = {.gate = SMOE_MIX_SOFTMAX, .k = 1, .d = 1};
    ck_assert_int_eq(smoe_oracle(3, 1, 1, tenth, y, zero, work, eta), SMOE_EDOM);
    ck_assert_int_eq(smoe_mix_em_direction(&alone, 4, ((double[]){0, 0, 1, 2}), six, y, weight, work, eta), SMOE_EDOM);
    ck_assert_int_eq(smoe_mix_m_step(&alone, 4, ((double[]){0, 0, 1, 2}), six, y, weight, 1e-3, work, next), SMOE_EDOM);
    /* as far from 0 as a spread of 1 allows, and a spread that overflows when it is squared */
    OK(smoe_oracle(4, 1, 1, ((double[]){0x1p46, 0x1p46 + 1, 0x1p46 + 2, 0x1p46 + 3}), y, zero, work, eta));
    ck_assert_int_eq(smoe_oracle(4, 1, 1, ((double[]){0, 0x1p600, 0, 0}), y, zero, work, eta), SMOE_EOVRFLW);
    /* 7 samples of a feature whose deviation is 2^-49, all of it exact: as much as its mean may be off, (2*7 + 2) 2^-53, not more */
    double close[7];
    for (size_t t = 0; t < 7; t++) close[t] = 1 - (double[]){0, 6, 2, 4, 1, 5, 3}[t] * 0x1p-50;
    const double seven[] = {0, 1, 0, 2, 1, 3, 5};
    ck_assert_int_eq(smoe_oracle(7, 1, 1, close, seven, (size_t[7]){0}, work, eta), SMOE_EDOM);
    for (size_t t = 0; t < 7; t++) close[t] = 1 - (double[]){0, 6, 2, 5, 1, 5, 2}[t] * 0x1p-50; /* squares of 32 instead of 28 */
    OK(smoe_oracle(7, 1, 1, close, seven, (size_t[7]){0}, work, eta));
    ck_assert_int_eq(smoe_oracle(0, 1, 1, spread, y, zero, work, eta), SMOE_EINVAL);
    ck_assert_int_eq(smoe_oracle(4, 0, 1, spread, y, zero, work, eta), SMOE_EINVAL);
    ck_assert_int_eq(smoe_oracle(4, 1, 0, spread, y, zero, work, eta), SMOE_EINVAL);
    ck_assert_int_eq(smoe_oracle(4, 1, 1, spread, (double[]){0, 0x1p600, 0, 0}, zero, work, eta), SMOE_EOVRFLW);
    const double theta[] = {1, 0, 1, 1, 0, 1};
    ck_assert_int_eq(smoe_mix_em_step(&norm1, 4, theta, x, y, 1e-3, work, q, next, &L), SMOE_EDOM);
    ck_assert_int_eq(smoe_mix_em_step(&norm1, 1, theta, x, y, 1e-3, work, q, next, &L), SMOE_EDOM);
    OK(smoe_mix_em_step(&norm1, 4, theta, spread, y, 1e-3, work, q, next, &L)); /* atoms that coincide stay so */
    ck_assert_msg(memcmp(next, next + 3, 3 * sizeof *next) == 0, "T.12: equal atoms part");
    const double none[] = {1, 0, 1, 0, 1, 0, 1, 0};
    ck_assert_int_eq(smoe_mix_m_step(&norm1, 4, theta, spread, y, none, 1e-3, work, next), SMOE_EDOM);
    const smoe_mix_shape hidden = {.expert = SMOE_MIX_TANH, .k = 1, .d = 1, .H = 1}, top = {.k = 2, .d = 1, .topk = 1};
    const double eta_h[] = {1, 0, 1, 0, 1};
    ck_assert_int_eq(smoe_mix_m_step(&hidden, 4, eta_h, spread, y, none, 1e-3, work, next), SMOE_EINVAL);
    ck_assert_int_eq(smoe_mix_em_step(&hidden, 4, eta_h, spread, y, 1e-3, work, q, next, &L), SMOE_EINVAL);
    ck_assert_int_eq(smoe_mix_m_step(&top, 4, theta, spread, y, none, 1e-3, work, next), SMOE_EINVAL);
    ck_assert_int_eq(smoe_mix_em_step(&top, 4, theta, spread, y, 1e-3, work, q, next, &L), SMOE_EINVAL);
    const smoe_mix_shape soft = {.gate = SMOE_MIX_SOFTMAX, .k = 1, .d = 1};
    OK(smoe_mix_m_step(&soft, 4, ((double[]){0, 0, 1, 2}), spread, line, ((double[]){1, 1, 1, 1}), 1e-3, work, next));
    ck_assert_msg(next[2] == 1e-3, "T.12: no noise, yet the variance is %g, not the least allowed", next[2]);
    ck_assert_int_eq(smoe_mix_m_step(&soft, 4, ((double[]){0, 0, 1, 2}), (double[]){0, 0, 0, 0}, line,
                                     ((double[]){1, 1, 1, 1}), 1e-3, work, next),
                     SMOE_EDOM);
}
END_TEST

/* All scores of a softmax gate at -2^1024: nobody has weight, and there is no label to draw. */
START_TEST(scores_that_all_overflow_get_a_status)
{
    const smoe_mix_shape soft = {.gate = SMOE_MIX_SOFTMAX, .k = 2, .d = 1};
    const double theta[] = {1, 0, 1, -0x1p1023, 1, 0, 1, -0x1p1023}, x[] = {2}, u[] = {0.5}, z[] = {0};
    double work[40], pi[2], at[8], margin, y, logp;
    size_t label;
    ck_assert_int_eq(smoe_mix_weights(&soft, theta, x, work, pi, &margin), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_mix_at(&soft, theta, x, work, at, &margin), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_mix_sample(&soft, 1, theta, x, u, z, work, &label, &margin, &y), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_mix_log_density(&soft, theta, x, 0, work, &logp), SMOE_EOVRFLW);
}
END_TEST

START_TEST(rank_errors)
{
    const double bad = bad_value[_i], one = 1, large[] = {0x1p600};
    double M[6], s[6], error;
    poison_all(6, M);
    ck_assert_int_eq(smoe_identifiability_matrix(SMOE_MIX_TANH, 0, 1, 1, &one, &one, &one, M), SMOE_EINVAL);
    ck_assert_int_eq(smoe_identifiability_matrix(SMOE_MIX_TANH, 1, 0, 1, &one, &one, &one, M), SMOE_EINVAL);
    ck_assert_int_eq(smoe_identifiability_matrix((smoe_mix_expert)4, 1, 1, 1, &one, &one, &one, M), SMOE_EINVAL);
    ck_assert_int_eq(smoe_identifiability_matrix(SMOE_MIX_TANH, 1, 1, 1, &bad, &one, &one, M), SMOE_EDOM);
    ck_assert_int_eq(smoe_identifiability_matrix(SMOE_MIX_TANH, 1, 1, 1, &one, &bad, &one, M), SMOE_EDOM);
    ck_assert_int_eq(smoe_identifiability_matrix(SMOE_MIX_TANH, 1, 1, 1, &one, &one, &bad, M), SMOE_EDOM);
    ck_assert_msg(untouched(6, M), "T.14 wrote in spite of an error");
    ck_assert_int_eq(smoe_identifiability_matrix(SMOE_MIX_LINEAR, 1, 1, 1, large, &one, large, M), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_singular_values(0, 1, M, s, &error), SMOE_EINVAL);
    ck_assert_int_eq(smoe_singular_values(1, 0, M, s, &error), SMOE_EINVAL);
    ck_assert_int_eq(smoe_singular_values(1, 2, M, s, &error), SMOE_EINVAL);
    M[0] = bad;
    ck_assert_int_eq(smoe_singular_values(1, 1, M, s, &error), SMOE_EDOM);
    double wild[] = {0x1p1000, 0x1p-1000, 0x1p1000, -0x1p-1000}; /* columns of any size */
    OK(smoe_singular_values(2, 2, wild, s, &error));
    ck_assert_msg(near(s[0], 1, 4) && near(s[1], 1, 4), "T.14: (%g, %g), by hand (1, 1)", s[0], s[1]);
    /* Less what all columns share, inner products are a few of the smallest doubles, and their roundings never end. */
    double faint[] = {1, 1, 1, 1, -2, 0, 0, -1, -2, 0, -1, 2, 3, 1, 3, -3};
    for (size_t j = 4; j < 16; j++) faint[j] = ldexp(faint[j], -525);
    ck_assert_int_eq(smoe_singular_values(4, 4, faint, s, &error), SMOE_EOVRFLW);
}
END_TEST

/* Every function of arrays: what it reads (in) and writes (out), and how much of it, for three atoms of a softmax gate with free weights
 * in two dimensions, and nine samples. */
enum {
    F_MEAN,
    F_MEAN_VJP,
    F_WEIGHTS,
    F_LOGLIK,
    F_LOGLIK_VJP,
    F_SCORE,
    F_HVP,
    F_SAMPLE,
    F_ATOMS,
    F_DISTANCE,
    F_RESPONSIBILITIES,
    F_COMPLETE,
    F_DIRECTION,
    F_VARIANCES,
    F_M_STEP,
    F_EM_STEP,
    F_ORACLE,
    F_CELLS,
    F_EXACT,
    F_OVER,
    F_MATRIX,
    FUNCTIONS
};

enum { F_BEHIND = 40, F_ROOM = 270 + F_BEHIND };

typedef struct {
    int function;
    size_t reads[4], writes[5];
    double in[4][F_ROOM], out[5][F_ROOM];
} function_call;

static smoe_status call_function(function_call *c)
{
    enum { N = 9, K = 3, D = 2, P = 7, M = 5, STARS = 4 };
    const smoe_mix_shape s = {.gate = SMOE_MIX_SOFTMAX, .free_weights = true, .k = K, .d = D};
    const smoe_mix_shape hidden = {.gate = SMOE_MIX_SOFTMAX, .expert = SMOE_MIX_TANH, .k = 1, .d = D, .H = 3};
    static const size_t width[] = {2, 3}, cell[] = {3, 0, 3},
                        label[2 * N] = {0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2};
    static const double power[] = {2, 2, NAN, NAN, NAN}, times[] = {0, 0, NAN, NAN, NAN}; /* of two groups */
    const double *a = c->in[0], *b = c->in[1], *e = c->in[2], *f = c->in[3];
    double *u = c->out[0], *v = c->out[1], *w = c->out[2], *x = c->out[3], *y = c->out[4], work[400];
    size_t chosen[N];
#define READS(...)  memcpy(c->reads, ((size_t[4]){__VA_ARGS__}), sizeof c->reads)
#define WRITES(...) memcpy(c->writes, ((size_t[5]){__VA_ARGS__}), sizeof c->writes)
    READS(K * P, N * D, N, N * K); /* what most read: theta, x, y, q */
    switch (c->function) {
    case F_MEAN:
        READS(3 * 4 + 1, D), WRITES(1);
        return smoe_mix_mean(&hidden, a, b, work, u);
    case F_MEAN_VJP:
        READS(3 * 4 + 1, D), WRITES(3 * 4 + 1, D);
        return smoe_mix_mean_vjp(&hidden, a, b, 1, u, v);
    case F_WEIGHTS:
        READS(K * P, D), WRITES(K);
        return smoe_mix_weights(&s, a, b, work, u, NULL);
    case F_LOGLIK:
        c->reads[3] = 0, WRITES(1);
        return smoe_mix_loglik(&s, N, a, b, e, work, u);
    case F_LOGLIK_VJP:
        c->reads[3] = 0, WRITES(K * P, N * D, N);
        return smoe_mix_loglik_vjp(&s, N, a, b, e, 1, work, u, v, w);
    case F_SCORE:
        c->reads[3] = 0, WRITES(1, K * P);
        return smoe_mix_loglik_score(&s, N, a, b, e, work, u, v);
    case F_HVP:
        READS(K * P, K * P, N * D, N), WRITES(K * P);
        return smoe_mix_hvp(&s, N, a, b, e, f, work, u);
    case F_SAMPLE:
        READS(K * P, N * D, N, N), WRITES(N, N);
        return smoe_mix_sample(&s, N, a, b, e, f, work, chosen, u, v);
    case F_ATOMS:
        READS(K * P), WRITES(K * (P - 1), K);
        return smoe_mix_atoms(&s, a, u, v);
    case F_DISTANCE:
        READS(K * P, K * P, N * D), WRITES(N, N, 2 * N, 1, 1);
        return smoe_mix_distance(&s, a, &s, b, N, e, work, u, v, w, x, y);
    case F_RESPONSIBILITIES:
        c->reads[3] = 0, WRITES(N * K, 1);
        return smoe_mix_responsibilities(&s, N, a, b, e, work, u, v);
    case F_COMPLETE:
        WRITES(1);
        return smoe_mix_complete_loglik(&s, N, a, b, e, f, work, u);
    case F_DIRECTION:
        WRITES(K * (D + 1));
        return smoe_mix_em_direction(&s, N, a, b, e, f, work, u);
    case F_VARIANCES:
        WRITES(K);
        return smoe_mix_em_variances(&s, N, a, b, e, f, u);
    case F_M_STEP:
        WRITES(K * P);
        return smoe_mix_m_step(&s, N, a, b, e, f, 0.01, work, u);
    case F_EM_STEP:
        c->reads[3] = 0, WRITES(N * K, K * P, 1);
        return smoe_mix_em_step(&s, N, a, b, e, 0.01, work, u, v, w);
    case F_ORACLE:
        READS(2 * N * D, 2 * N), WRITES(K * (D + 2));
        return smoe_oracle(2 * N, K, D, a, b, label, work, u);
    case F_CELLS:
        READS(K * M, STARS * M), WRITES(K);
        return smoe_voronoi_cells(K, STARS, M, a, b, work, chosen, u);
    case F_EXACT:
        READS(K * M, STARS * M, K, STARS), WRITES(1);
        return smoe_voronoi_exact(K, STARS, M, a, b, e, f, cell, work, u);
    case F_OVER:
        READS(K * M, STARS * M, K, STARS), WRITES(1);
        return smoe_voronoi_over(K, STARS, M, a, b, e, f, cell, 2, width, power, times, work, u);
    default: /* 1 + 3 + 6 columns for each atom */
        READS(K * D, K, N * D), WRITES(N * K * 10);
        return smoe_identifiability_matrix(SMOE_MIX_TANH, K, D, N, a, b, e, u);
    }
}

/* Each element of an input is asked for; what is behind one is not, and what is behind a result is neither looked at nor written. */
START_TEST(functions_read_to_the_last)
{
    function_call c = {.function = _i};
    uint64_t seed = 83;
    for (size_t i = 0; i < 4; i++) slopes_fill(&seed, 0.4, F_ROOM, c.in[i]);
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < F_ROOM; k++)
            c.in[i][k] += 0.5; /* between 0 and 1, as variances, weights and coins may be */
    OK(call_function(&c)); /* how much there is */
    for (size_t i = 0; i < 4; i++)
        for (size_t k = c.reads[i]; k < F_ROOM; k++) c.in[i][k] = NAN;
    for (size_t i = 0; i < 5; i++)
        for (size_t k = 0; k < F_ROOM; k++) c.out[i][k] = INFINITY;
    ck_assert_msg(call_function(&c) == SMOE_OK, "function %d: what is behind is looked at", _i);
    for (size_t i = 0; i < 5; i++)
        for (size_t k = 0; k < F_ROOM; k++)
            ck_assert_msg((k < c.writes[i]) == isfinite(c.out[i][k]), "function %d: [%zu] of result %zu", _i, k, i);
    for (size_t i = 0; i < 5; i++) poison_all(F_ROOM, c.out[i]);
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < c.reads[i]; k++) {
            const double kept = c.in[i][k];
            c.in[i][k] = bad_value[k % 3];
            ck_assert_msg(call_function(&c) == SMOE_EDOM, "function %d: [%zu] of input %zu", _i, k, i);
            c.in[i][k] = kept;
        }
    for (size_t i = 0; i < 5; i++)
        ck_assert_msg(untouched(F_ROOM, c.out[i]), "function %d: result %zu was written", _i, i);
}
END_TEST

/* The last element of one result overflows, and nothing else. */
START_TEST(results_overflow_in_the_last)
{
    const smoe_mix_shape line = {.gate = SMOE_MIX_SOFTMAX, .k = 3, .d = 2}; /* (a, b, nu, beta1) */
    double theta[18] = {0}, at[12], work[100], dtheta[18], dx[4], dy[2], away_dy[3], margin;
    const double x[] = {0, 0, 0, 0x1p100}, none[4] = {0};
    for (size_t i = 0; i < 3; i++) theta[6 * i + 3] = 1;
    theta[13] = 0x1p1000; /* a_1 of the last atom */
    ck_assert_int_eq(smoe_mix_at(&line, theta, x + 2, work, at, &margin), SMOE_EOVRFLW);
    for (size_t j = 0; j < 12; j++) ck_assert_msg(isfinite(at[j]) == (j != 5), "T.2: at[%zu] is %g", j, at[j]);
    /* dx = dh a, da = dh x: either alone */
    const smoe_mix_shape one = {.gate = SMOE_MIX_SOFTMAX, .k = 1, .d = 2};
    ck_assert_int_eq(smoe_mix_mean_vjp(&one, (double[]){0, 0x1p600, 0}, none, 0x1p600, dtheta, dx), SMOE_EOVRFLW);
    ck_assert(dx[0] == 0 && dx[1] == INFINITY && isfinite(dtheta[0]) && isfinite(dtheta[1]) && isfinite(dtheta[2]));
    ck_assert_int_eq(smoe_mix_mean_vjp(&one, (double[]){0, 0, 0}, (double[]){0, 0x1p600}, 0x1p600, dtheta, dx),
                     SMOE_EOVRFLW);
    ck_assert(dx[0] == 0 && dx[1] == 0 && dtheta[0] == 0 && dtheta[1] == INFINITY && isfinite(dtheta[2]));
    /* r = (0, 2^-200) and nu = 2^-500: dh = 2^299, and dx = dh a */
    const double narrow[] = {0, 0x1p800, 0, 0x1p-500, 0, 0};
    ck_assert_int_eq(smoe_mix_loglik_vjp(&one, 2, narrow, none, (double[]){0, 0x1p-200}, 1, work, dtheta, dx, dy),
                     SMOE_EOVRFLW);
    ck_assert(dx[0] == 0 && dx[1] == 0 && dx[2] == 0 && dx[3] == INFINITY);
    for (size_t j = 0; j < 6; j++) ck_assert_msg(isfinite(dtheta[j]), "T.5': dtheta[%zu] is %g", j, dtheta[j]);
    /* two atoms alike: r^2 = nu, so that nu has no gradient, each b has 3/4 2^1024, and y both together */
    const smoe_mix_shape two = {.gate = SMOE_MIX_SOFTMAX, .k = 2, .d = 1};
    const double alike[] = {0, 0, 0x1p-46, 0, 0, 0, 0x1p-46, 0};
    ck_assert_int_eq(smoe_mix_loglik_vjp(&two, 1, alike, none, (double[]){0x1p-23}, 0x1.8p1001, work, dtheta, dx, dy),
                     SMOE_EOVRFLW);
    ck_assert_msg(dy[0] == -INFINITY && dx[0] == 0, "T.5': dy is %g", dy[0]);
    for (size_t j = 0; j < 8; j++) ck_assert_msg(isfinite(dtheta[j]), "T.5': dtheta[%zu] is %g", j, dtheta[j]);
    /* three densities of -(0.95 2^512)^2 / 2: their sum overflows, and no gradient does */
    const smoe_mix_shape flat = {.gate = SMOE_MIX_SOFTMAX, .k = 1, .d = 1};
    const double away[] = {0x1.e666p511, 0x1.e666p511, 0x1.e666p511};
    ck_assert_int_eq(smoe_mix_loglik_vjp(&flat, 3, (double[]){0, 0, 1, 0}, none, away, 1, work, dtheta, dx, away_dy),
                     SMOE_EOVRFLW);
    for (size_t j = 0; j < 4; j++) ck_assert_msg(isfinite(dtheta[j]), "T.5': dtheta[%zu] is %g", j, dtheta[j]);
    ck_assert_int_eq(smoe_mix_loglik_vjp(&flat, 2, (double[]){0, 0, 1, 0}, none, away, 1, work, dtheta, dx, away_dy),
                     SMOE_OK);
    /* what is before `at` is not looked at */
    double all[15] = {NAN, NAN, NAN};
    theta[13] = 0;
    ck_assert_int_eq(smoe_mix_at(&line, theta, x + 2, work, all + 3, &margin), SMOE_OK);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("convergence");
    TCase *hand = tcase_create("by hand"), *slope = tcase_create("gradients"), *property = tcase_create("properties");
    TCase *error = tcase_create("errors");
    tcase_add_test(hand, experts_by_hand);
    tcase_add_test(hand, gates_by_hand);
    tcase_add_test(hand, normal_by_hand);
    tcase_add_test(hand, density_by_hand);
    tcase_add_test(hand, loglik_by_hand);
    tcase_add_test(hand, hvp_by_hand);
    tcase_add_test(hand, sample_by_hand);
    tcase_add_test(hand, distances_by_hand);
    tcase_add_test(hand, mean_distances_by_hand);
    tcase_add_test(hand, cells_by_hand);
    tcase_add_test(hand, exact_loss_by_hand);
    tcase_add_test(hand, over_loss_by_hand);
    tcase_add_test(hand, em_by_hand);
    tcase_add_test(hand, an_edge_holds_the_lines);
    tcase_add_test(hand, em_by_hand_in_three_dimensions);
    tcase_add_test(hand, oracle_by_hand);
    tcase_add_test(hand, identifiability_by_hand);
    tcase_add_test(hand, copies_by_hand);
    tcase_add_loop_test(slope, gradient_is_the_slope, 0, SHAPES);
    tcase_add_loop_test(slope, a_wrong_gradient_is_seen, 0, SHAPES);
    tcase_add_loop_test(slope, hessian_is_the_slope_of_the_score, 0, SHAPES);
    tcase_add_loop_test(property, order_does_not_matter, 0, SHAPES);
    tcase_add_loop_test(property, weights_are_a_distribution, 0, SHAPES);
    tcase_add_loop_test(property, density_integrates_to_one, 0, shapes_to_integrate(SHAPES));
    tcase_add_test(property, same_measure_same_density);
    tcase_add_loop_test(property, hessian_is_linear, 0, SHAPES);
    tcase_add_loop_test(property, labels_have_the_weights, 0, SHAPES);
    tcase_add_loop_test(property, distances_are_ordered, 0, shapes_to_integrate(16));
    tcase_add_test(property, quadrature_meets_closed_forms);
    tcase_add_test(property, crossings_between_points_are_not_overlooked);
    tcase_add_loop_test(property, models_have_distances, 0, shapes_to_integrate(SHAPES));
    tcase_add_test(property, hard_distances_end);
    tcase_add_test(property, crossings_at_an_end_take_no_splits);
    tcase_add_test(property, additions_are_in_the_claim);
    tcase_add_test(hand, panels_are_left_at_tau);
    tcase_add_test(hand, workspaces_by_hand);
    tcase_add_test(hand, units_of_x_do_not_matter);
    tcase_add_test(error, an_atom_without_weight_is_refused);
    tcase_add_test(property, splits_end_and_the_claim_says_so);
    tcase_add_test(property, losses_see_the_measure);
    tcase_add_test(property, two_merged_atoms_cancel_three_orders);
    tcase_add_loop_test(property, em_climbs, 0, 8);
    tcase_add_test(property, em_halves_its_step);
    tcase_add_test(property, oracle_is_least_squares);
    tcase_add_loop_test(property, mirror_images_are_not_identifiable, 0, 4);
    tcase_add_test(property, singular_values_are_right);
    tcase_add_test(property, only_multiples_contain_the_truth);
    tcase_add_test(error, shape_errors);
    tcase_add_loop_test(error, value_errors, 0, 3);
    tcase_add_test(error, overflow_is_said);
    tcase_add_test(error, em_steps_refuse);
    tcase_add_test(error, refused_atoms_write_nothing);
    tcase_add_test(error, labels_of_no_atom_are_refused);
    tcase_add_loop_test(error, distance_errors, 0, 3);
    tcase_add_loop_test(error, loss_errors, 0, 3);
    tcase_add_loop_test(error, degenerate_data_get_a_status, 0, 3);
    tcase_add_test(error, scores_that_all_overflow_get_a_status);
    tcase_add_loop_test(error, functions_read_to_the_last, 0, FUNCTIONS);
    tcase_add_test(error, results_overflow_in_the_last);
    tcase_add_loop_test(error, rank_errors, 0, 3);
    tcase_set_timeout(hand, 120);
    tcase_set_timeout(slope, 120);
    tcase_set_timeout(property, 120);
    tcase_set_timeout(error, 120);
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
