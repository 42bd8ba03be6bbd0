/* Similarity of representations, spec/06-similarity.md: hand-computed values, gradients by two methods, properties,
 * errors. */
#include <check.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "similarity.h"
#include "similarity_matrix.h"
#include "slopes.h"

/* Within `ulps` units of the last place of `want`; false for NaN. */
static bool near(double got, double want, double ulps) { return fabs(got - want) <= ulps * 0x1p-52 * fabs(want); }

#define SAME(got, want, n, what)                                                                                       \
    for (size_t same_k = 0; same_k < (n); same_k++)                                                                    \
    ck_assert_msg((got)[same_k] == (want)[same_k], "%s[%zu] is %a, by hand it is %a", what, same_k, (got)[same_k],     \
                  (want)[same_k])

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

/* Under Valgrind a simulation is a tenth as long. */
static int draws_of(int all) { return getenv("SMOE_TEST_LIGHT") != NULL ? all / 10 : all; }

static double *room(size_t n)
{
    double *x = calloc(n + 1, sizeof *x);
    ck_assert_ptr_nonnull(x);
    return x;
}

static const smoe_similarity linear_biased = {.kernel = SMOE_KERNEL_LINEAR};

static smoe_similarity with_estimator(smoe_similarity how, smoe_estimator estimator, smoe_similarity_route route)
{
    how.estimator = estimator;
    how.route = route;
    return how;
}

/* The kernels of the tests: linear, RBF with a bandwidth as it is, from the median, and from it but trained. */
enum { KERNELS = 4 };
static const char *const kernel_name[KERNELS] = {"linear", "absolute RBF", "median RBF", "median RBF, trained"};

static smoe_similarity kernel_of(int i)
{
    return (smoe_similarity){.kernel = i == 0 ? SMOE_KERNEL_LINEAR : SMOE_KERNEL_RBF,
                             .sigma = i == 1 ? 1.25 : 0.75,
                             .bandwidth = i <= 1 ? SMOE_BANDWIDTH_ABSOLUTE : SMOE_BANDWIDTH_MEDIAN,
                             .detach = i == 2};
}

static double hsic_of(smoe_similarity how, size_t n, size_t p, const double *x, size_t q, const double *y)
{
    double *work = room(smoe_hsic_work(&how, n, p, q)), value;
    OK(smoe_hsic(&how, n, p, x, q, y, work, &value));
    free(work);
    return value;
}

static double cka_of(smoe_similarity how, size_t n, size_t p, const double *x, size_t q, const double *y)
{
    double *work = room(smoe_cka_work(&how, n, p, q)), value;
    OK(smoe_cka(&how, n, p, x, q, y, work, &value));
    free(work);
    return value;
}

static void cka_gradient(smoe_similarity how, size_t n, size_t p, const double *x, size_t q, const double *y, double g,
                         double *dx, double *dy)
{
    double *work = room(smoe_cka_work(&how, n, p, q));
    OK(smoe_cka_vjp(&how, n, p, x, q, y, g, work, dx, dy));
    free(work);
}

static void hsic_gradient(smoe_similarity how, size_t n, size_t p, const double *x, size_t q, const double *y, double g,
                          double *dx, double *dy)
{
    double *work = room(smoe_hsic_work(&how, n, p, q));
    OK(smoe_hsic_vjp(&how, n, p, x, q, y, g, work, dx, dy));
    free(work);
}

/* --- hand-computed values --- */

/* Rows (1,0), (1,1), (0,2).  dK + dK^T = ((2,2,0), (2,0,0), (0,0,2)):  dX = ((2+2, 2), (2, 0), (0, 4)). */
/* evidence hand: K.1 */
START_TEST(linear_kernel_by_hand)
{
    const double x[] = {1, 0, 1, 1, 0, 2}, dK[] = {1, 0, 0, 2, 0, 0, 0, 0, 1};
    double K[9], dx[6];
    OK(smoe_gram_linear(3, 2, x, K));
    SAME(K, ((double[]){1, 1, 0, 1, 2, 2, 0, 2, 4}), 9, "K.1 K");
    OK(smoe_gram_linear_vjp(3, 2, x, dK, dx));
    SAME(dx, ((double[]){4, 2, 2, 0, 0, 4}), 6, "K.1 dX");
}
END_TEST

/* The same rows: 0 + 1, 1 + 4, 1 + 1.  dD_01 = 1 and dD_12 = 1/2: dx_0 = 2 (0,-1), dx_1 = 2 (0,1) + (1,-1),
 * dx_2 = (-1,1). */
/* evidence hand: K.2 */
START_TEST(distances_by_hand)
{
    const double x[] = {1, 0, 1, 1, 0, 2}, dD[] = {0, 1, 0, 0, 0, 0.5, 0, 0, 0};
    double D[9], dx[6];
    OK(smoe_squared_distances(3, 2, x, D));
    SAME(D, ((double[]){0, 1, 5, 1, 0, 2, 5, 2, 0}), 9, "K.2 D");
    OK(smoe_squared_distances_vjp(3, 2, x, dD, dx));
    SAME(dx, ((double[]){0, -2, 1, 1, -1, 1}), 6, "K.2 dX");
}
END_TEST

static smoe_similarity rule(int i, double sigma)
{
    return (smoe_similarity){.kernel = SMOE_KERNEL_RBF,
                             .sigma = sigma,
                             .bandwidth = SMOE_BANDWIDTH_MEDIAN,
                             .diagonal = i & 4 ? SMOE_DIAGONAL_WITHOUT : SMOE_DIAGONAL_WITH,
                             .middle = i & 2 ? SMOE_MIDDLE_LOWER : SMOE_MIDDLE_MEAN,
                             .median = i & 1 ? SMOE_MEDIAN_SQUARE : SMOE_MEDIAN_DISTANCE};
}

/* x = 0, 1, 3, 7: squares 1 9 49 4 36 16, each twice, and four zeros.  With the diagonal the middle two of 16 are 4 and
 * 9, without it those of 12 are 9 and 16. */
/* evidence hand: K.3 */
START_TEST(bandwidths_by_hand)
{
    const double x[] = {0, 1, 3, 7}, want[8] = {6.25, 6.5, 4, 4, 12.25, 12.5, 9, 9};
    double D[16], variance;
    OK(smoe_squared_distances(4, 1, x, D));
    for (int i = 0; i < 8; i++) {
        smoe_similarity how = rule(i, 1);
        OK(smoe_bandwidth_median(&how, 4, D, &variance));
        ck_assert_msg(variance == want[i], "K.3 rule %d: sigma^2 is %a, by hand %a", i, variance, want[i]);
        how.sigma = 0.5;
        OK(smoe_bandwidth_median(&how, 4, D, &variance));
        ck_assert_msg(variance == want[i] / 4, "K.3 rule %d: half of the median is %a", i, variance);
    }
    OK(smoe_bandwidth_absolute(0.75, &variance));
    ck_assert_msg(variance == 0.5625, "K.3: (3/4)^2 is %a", variance);
    /* Two samples a distance 2 apart: 0 0 4 4 with the diagonal. */
    const double two[] = {0, 4, 4, 0}, want_two[8] = {1, 2, 0, 0, 4, 4, 4, 4};
    for (int i = 0; i < 8; i++) {
        const smoe_similarity how = rule(i, 1);
        double value = poison;
        const smoe_status status = smoe_bandwidth_median(&how, 2, two, &value);
        if (want_two[i] == 0)
            ck_assert_msg(status == SMOE_EDOM && value == poison, "K.3: a median of 0 gives no bandwidth");
        else
            ck_assert_msg(status == SMOE_OK && value == want_two[i], "K.3 rule %d of two: %a", i, value);
    }
}
END_TEST

/* The same x, with the diagonal.  Distances: m = 5/2, 4 is the eighth of the sorted 16 and stands at (2,1) after (1,2),
 * 9 is the ninth, at (0,2).  da = 1/2 m/2 = 5/8, db = 1/2 m/3 = 5/12, which is no binary number: times 3/2 it is 5/8.
 * Squares: 1/2 each.  Lower: 4 alone, both halves. */
/* evidence hand: K.3 */
START_TEST(bandwidth_gradient_by_hand)
{
    const double x[] = {0, 1, 3, 7};
    double D[16], dD[16], dx[4];
    OK(smoe_squared_distances(4, 1, x, D));
    smoe_similarity how = rule(1, 1);
    OK(smoe_bandwidth_median_vjp(&how, 4, D, 1, dD));
    SAME(dD, ((double[]){0, 0, 0.5, 0, 0, 0, 0, 0, 0, 0.5, 0, 0, 0, 0, 0, 0}), 16, "K.3 dD, squares");
    how = rule(2, 1); /* sigma^2 = 4 of D_12 itself */
    OK(smoe_bandwidth_median_vjp(&how, 4, D, 1, dD));
    SAME(dD, ((double[]){0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}), 16, "K.3 dD, lower");
    how = rule(0, 1);
    OK(smoe_bandwidth_median_vjp(&how, 4, D, 6, dD));
    SAME(dD, ((double[]){0, 0, 2.5, 0, 0, 0, 0, 0, 0, 3.75, 0, 0, 0, 0, 0, 0}), 16, "K.3 dD, distances");
    OK(smoe_squared_distances_vjp(4, 1, x, dD, dx)); /* six times (-5/2, -5/2, 5, 0) */
    SAME(dx, ((double[]){-15, -15, 30, 0}), 4, "K.3 dX");
    /* Where the lower of the two middle values is a zero, only the upper one moves. */
    const double two[] = {0, 4, 4, 0};
    double d2[4];
    OK(smoe_bandwidth_median_vjp(&how, 2, two, 1, d2)); /* sigma^2 = d^2/4: d/d(d^2) = 1/4 */
    SAME(d2, ((double[]){0, 0.25, 0, 0}), 4, "K.3 dD of two");
    OK(smoe_bandwidth_median_vjp(&how, 2, (double[]){0, 0, 0, 0}, 1, d2)); /* and where both are, none */
    SAME(d2, ((double[]){0, 0, 0, 0}), 4, "K.3 dD of two that are one");
}
END_TEST

/* D = 0: 1, with slope -1/(2 variance) = -1/4.  D = 4, variance 2: e^-1 = 0.36787944117144233 (nearest double to
 * 0.367879441171442321595...); e^-1 - 1 = -0.632120558828557678404...  dD = -e^-1/4, dvariance = 4 e^-1 / (2 2^2) =
 * e^-1/2. */
/* evidence hand: K.4 */
START_TEST(rbf_by_hand)
{
    const double D[] = {0, 4, 4, 0}, dK[] = {1, 1, 0, 0}, e = 0.36787944117144232160;
    double K[4], dD[4], dvariance;
    OK(smoe_gram_rbf(2, D, 2, K));
    SAME(K, ((double[]){1, e, e, 1}), 4, "K.4 K");
    OK(smoe_gram_rbf_less_one(2, D, 2, K));
    SAME(K, ((double[]){0, -0.63212055882855767840, -0.63212055882855767840, 0}), 4, "K.4 K - 1");
    OK(smoe_gram_rbf_vjp(2, D, 2, dK, dD, &dvariance));
    SAME(dD, ((double[]){-0.25, -e / 4, 0, 0}), 4, "K.4 dD");
    ck_assert_msg(dvariance == e / 2, "K.4: dvariance is %a", dvariance);
    /* At 10^-20 the kernel is 1 and knows nothing of D; less one it knows all. */
    const double tiny[] = {0x1p-70};
    OK(smoe_gram_rbf(1, tiny, 0.5, K));
    ck_assert(K[0] == 1);
    OK(smoe_gram_rbf_less_one(1, tiny, 0.5, K));
    ck_assert_msg(K[0] == -0x1p-70, "K.4: expm1(-2^-70) is %a", K[0]);
}
END_TEST

/* K = ((0,1),(1,4)): rows less 1/2 and 5/2, columns less -1 and 1.  Another one is not symmetric: ((1,3),(5,11)), rows
 * less 2 and 8: ((-1,1),(-3,3)), columns less -2 and 2.  H = (1,-1;-1,1)/2 is exact.  Features 5, 7, 9, 11: less 5, less
 * 3. */
/* evidence hand: K.5 */
START_TEST(centring_by_hand)
{
    const double K[] = {0, 1, 1, 4}, M[] = {1, 3, 5, 11}, x[] = {5, 7, 9, 11};
    double C[4], work[8], xc[4];
    OK(smoe_centre(2, K, C));
    SAME(C, ((double[]){0.5, -0.5, -0.5, 0.5}), 4, "K.5 C");
    OK(smoe_centre(2, M, C));
    SAME(C, ((double[]){1, -1, -1, 1}), 4, "K.5 C of M");
    OK(smoe_centre_definition(2, M, work, C));
    SAME(C, ((double[]){1, -1, -1, 1}), 4, "K.5 H M H");
    OK(smoe_centre_features(4, 1, x, xc));
    SAME(xc, ((double[]){-3, -1, 1, 3}), 4, "K.5 H x");
    OK(smoe_centre_features(2, 2, x, xc));
    SAME(xc, ((double[]){-2, -2, 2, 2}), 4, "K.5 H x, two columns");
}
END_TEST

/* x_c = (-2,-2,2,2), y_c = (-1,-1,-1,3): <x_c,y_c> = 8, squared 64; over 9, 16 and 1.  dK = g/9 y_c y_c^T. */
/* evidence hand: K.6 */
START_TEST(biased_by_hand)
{
    const double x[] = {0, 0, 4, 4}, y[] = {0, 0, 0, 4}, yc[] = {-1, -1, -1, 3}, xc[] = {-2, -2, 2, 2};
    const double want[] = {64.0 / 9, 4, 64};
    double K[16], L[16], work[32], value, dK[16], dL[16];
    OK(smoe_gram_linear(4, 1, x, K));
    OK(smoe_gram_linear(4, 1, y, L));
    for (int d = 0; d < 3; d++) {
        smoe_similarity how = linear_biased;
        how.divide = (smoe_hsic_divisor)d;
        OK(smoe_hsic_biased(4, K, L, how.divide, work, &value));
        ck_assert_msg(value == want[d], "K.6 divisor %d: %a, by hand %a", d, value, want[d]);
        for (int route = 0; route < 2; route++) {
            how.route = (smoe_similarity_route)route;
            const double composite = hsic_of(how, 4, 1, x, 1, y);
            ck_assert_msg(composite == want[d], "K.6 divisor %d, route %d: %a", d, route, composite);
        }
    }
    OK(smoe_hsic_biased_vjp(4, K, L, SMOE_DIVIDE_N_LESS_1, 9, dK, dL));
    for (size_t k = 0; k < 16; k++) {
        ck_assert_msg(dK[k] == yc[k / 4] * yc[k % 4], "K.6: dK[%zu] is %a", k, dK[k]);
        ck_assert_msg(dL[k] == xc[k / 4] * xc[k % 4], "K.6: dL[%zu] is %a", k, dL[k]);
    }
}
END_TEST

/* x = (0,0,3,3): off the diagonal only K_23 = 9.  Row sums (0,0,9,9)/2, total 18/6 = 3.  A matrix that is not symmetric,
 * 12 at (0,1) of 4 x 4: its row 0 and column 1 have 12/2 = 6, all 12/6 = 2: U_01 = 12 - (6+6) + 2, U_0j = 2 - 6,
 * U_i1 = 2 - 6, else 2. */
/* evidence hand: K.7 */
START_TEST(u_centring_by_hand)
{
    const double x[] = {0, 0, 3, 3}, h = 1.5;
    double K[16], U[16], sums[8], M[16] = {0};
    OK(smoe_gram_linear(4, 1, x, K));
    OK(smoe_u_centre(4, K, sums, U));
    SAME(U, ((double[]){0, 3, -h, -h, 3, 0, -h, -h, -h, -h, 0, 3, -h, -h, 3, 0}), 16, "K.7 U");
    M[1] = 12;
    OK(smoe_u_centre(4, M, sums, U));
    SAME(U, ((double[]){0, 2, -4, -4, 2, 0, 2, 2, 2, -4, 0, 2, 2, -4, 2, 0}), 16, "K.7 U of M");
}
END_TEST

/* x = (0,0,3,3), y = (0,3,0,3): [0 + 18 18/6 - 81]/4 = -27/4; with itself [162 + 54 - 162]/4 = 27/2.  The biased form
 * is 0: <x_c,y_c> = 0.  dX = U(L) X / 2 = (9/4, 9/4, -9/4, -9/4). */
/* evidence hand: K.8 K.11 */
START_TEST(unbiased_by_hand)
{
    const double x[] = {0, 0, 3, 3}, y[] = {0, 3, 0, 3}, h = 1.5;
    double K[16], L[16], work[40], value, dK[16], dL[16], dx[4], dy[4];
    OK(smoe_gram_linear(4, 1, x, K));
    OK(smoe_gram_linear(4, 1, y, L));
    OK(smoe_hsic_unbiased(4, K, L, &value));
    ck_assert_msg(value == -6.75, "K.8: %a, by hand -27/4", value);
    OK(smoe_hsic_debiased(4, K, L, work, &value));
    ck_assert_msg(value == -6.75, "K.8 by U-centring: %a, by hand -27/4", value);
    OK(smoe_hsic_unbiased(4, K, K, &value));
    ck_assert_msg(value == 13.5, "K.8: %a, by hand 27/2", value);
    OK(smoe_hsic_unbiased_vjp(4, K, L, 8, work, dK, dL)); /* 8/4 U(L), 8/4 U(K) */
    SAME(dK, ((double[]){0, -3, 6, -3, -3, 0, -3, 6, 6, -3, 0, -3, -3, 6, -3, 0}), 16, "K.8 dK");
    SAME(dL, ((double[]){0, 6, -3, -3, 6, 0, -3, -3, -3, -3, 0, 6, -3, -3, 6, 0}), 16, "K.8 dL");
    for (int e = 1; e < 3; e++)
        for (int route = 0; route < 2; route++) {
            const smoe_similarity how = with_estimator(linear_biased, (smoe_estimator)e, (smoe_similarity_route)route);
            value = hsic_of(how, 4, 1, x, 1, y);
            ck_assert_msg(value == -6.75, "K.8 estimator %d, route %d: %a, by hand -27/4", e, route, value);
            hsic_gradient(how, 4, 1, x, 1, y, 1, dx, dy);
            SAME(dx, ((double[]){h * h, h * h, -h * h, -h * h}), 4, "K.8 dX");
            SAME(dy, ((double[]){h * h, -h * h, h * h, -h * h}), 4, "K.8 dY"); /* samples 1 and 2 swapped */
            value = cka_of(how, 4, 1, x, 1, y);
            ck_assert_msg(value == -0.5, "K.9 estimator %d, route %d: %a, by hand -1/2", e, route, value);
        }
    for (int route = 0; route < 2; route++) {
        const smoe_similarity how = with_estimator(linear_biased, SMOE_HSIC_BIASED, (smoe_similarity_route)route);
        ck_assert_msg(cka_of(how, 4, 1, x, 1, y) == 0, "K.9: the biased form is 0");
    }
}
END_TEST

/* x = (0,16,48,112), sigma = 1: squared distances 256 of 01, 1024 of 12 and more, so that K is k = e^-128 at 01 and else at most
 * e^-384 k.  y has samples 1 and 2 in each other's place: L is k at 02.  By the worked example of K.8, k in the place of 9 (and 01
 * in that of 23, which in U-centred 4 x 4 matrices are the same): HSIC(K,L) = -27/4 k^2/81 = -k^2/12, HSIC(K,K) = 27/2 k^2/81 =
 * k^2/6, CKA = -1/2.  k = exp(-(x_0-x_1)^2/2): dk/dx_0 = 16 k, so dx_0 = -16 k^2/12 = -4/3 k^2 = -dx_1, and likewise in y.
 * k^2 = e^-256 = 6.61626105670948526e-112.  Less one K is -1 everywhere, and nothing of this is left. */
/* evidence hand: K.4 K.7 K.8 K.9 K.12 */
START_TEST(far_samples_by_hand)
{
    const double x[] = {0, 16, 48, 112}, y[] = {0, 48, 16, 112}, k2 = 0x1.9755956ad4e9cp-370;
    const double dx[] = {-4 * k2 / 3, 4 * k2 / 3, 0, 0}, dy[] = {-4 * k2 / 3, 0, 4 * k2 / 3, 0};
    for (int e = 1; e < 3; e++) {
        const smoe_similarity how = {.kernel = SMOE_KERNEL_RBF, .sigma = 1, .estimator = (smoe_estimator)e};
        double gx[4], gy[4], work[8 * 16 + 16], value = hsic_of(how, 4, 1, x, 1, y);
        ck_assert_msg(near(value, -k2 / 12, 8), "K.8 estimator %d: HSIC is %.17g, by hand -e^-256/12", e, value);
        value = hsic_of(how, 4, 1, x, 1, x);
        ck_assert_msg(near(value, k2 / 6, 8), "K.8 estimator %d: HSIC(K,K) is %.17g, by hand e^-256/6", e, value);
        value = cka_of(how, 4, 1, x, 1, y);
        ck_assert_msg(near(value, -0.5, 8), "K.9 estimator %d: CKA is %.17g, by hand -1/2", e, value);
        hsic_gradient(how, 4, 1, x, 1, y, 1, gx, gy);
        for (size_t i = 0; i < 4; i++) {
            ck_assert_msg(fabs(gx[i] - dx[i]) <= 0x1p-49 * k2, "K.8: dx[%zu] is %.17g, by hand %.17g", i, gx[i], dx[i]);
            ck_assert_msg(fabs(gy[i] - dy[i]) <= 0x1p-49 * k2, "K.8: dy[%zu] is %.17g, by hand %.17g", i, gy[i], dy[i]);
        }
        OK(smoe_cka_minibatch(&how, 4, 4, 1, x, 1, y, work, &value));
        ck_assert_msg(near(value, -0.5, 8), "K.12: CKA of one batch is %.17g, by hand -1/2", value);
    }
}
END_TEST

/* 2 variance = 1: a D of ln 2, rounded (down), gives 1/2 or more, and the next double less. */
/* evidence hand: K.4 */
START_TEST(half_divides_the_forms_of_the_kernel)
{
    const double ln2 = 0x1.62e42fefa39efp-1, above = 0x1.62e42fefa39fp-1;
    double D[] = {0, above, 9, above, 0, 700, 9, 700, 0}, K[9], want[9];
    OK(smoe_gram_rbf(3, D, 0.5, want));
    OK(smoe_gram_rbf_to_u_centre(3, D, 0.5, K));
    ck_assert_msg(memcmp(K, want, sizeof K) == 0, "K.4: all below 1/2, and the kernel is not as it is");
    D[1] = D[3] = ln2;
    OK(smoe_gram_rbf_less_one(3, D, 0.5, want));
    OK(smoe_gram_rbf_to_u_centre(3, D, 0.5, K));
    ck_assert_msg(memcmp(K, want, sizeof K) == 0, "K.4: one of them is 1/2, and the kernel is not less one");
    D[1] = D[3] = above;
    D[7] = 0.5; /* read on both sides of the diagonal */
    OK(smoe_gram_rbf_less_one(3, D, 0.5, want));
    OK(smoe_gram_rbf_to_u_centre(3, D, 0.5, K));
    ck_assert_msg(memcmp(K, want, sizeof K) == 0, "K.4: one below the diagonal is not seen");
}
END_TEST

/* h = (3,4,9): 3/6; for g = 2: 2/6, -2 (1/2)/(2 4) = -1/8, -2 (1/2)/(2 9) = -1/18.  Numbers whose product is beyond the
 * format: 2^-1000 each, or 2^1000. */
/* evidence hand: K.9 */
START_TEST(ratio_by_hand)
{
    double value, a, b, c;
    OK(smoe_cka_ratio(3, 4, 9, &value));
    ck_assert_msg(value == 0.5, "K.9: %a, by hand 1/2", value);
    OK(smoe_cka_ratio_vjp(3, 4, 9, 2, &a, &b, &c));
    ck_assert_msg(a == 1.0 / 3 && b == -0.125 && c == -1.0 / 18, "K.9: gradient %a %a %a", a, b, c);
    OK(smoe_cka_ratio(-3, 4, 9, &value));
    ck_assert_msg(value == -0.5, "K.9: a negative HSIC gives %a, by hand -1/2", value);
    for (int e = -1000; e <= 1000; e += 125) { /* odd exponents too */
        const double s = ldexp(1, e);
        OK(smoe_cka_ratio(3 * s, 4 * s, 9 * s, &value));
        ck_assert_msg(value == 0.5, "K.9 at 2^%d: %a, by hand 1/2", e, value);
        OK(smoe_cka_ratio(3, 4 * s, 9 / s, &value));
        ck_assert_msg(value == 0.5, "K.9 at 2^%d and its inverse: %a, by hand 1/2", e, value);
    }
    OK(smoe_cka_ratio(1, 2, 8, &value)); /* exponents that sum to an even number, and to an odd one */
    ck_assert(value == 0.25);
    OK(smoe_cka_ratio(1, 2, 2.25 * 2, &value));
    ck_assert_msg(value == 1.0 / 3, "K.9: 1/sqrt(9) is %a", value);
    OK(smoe_cka_ratio(1, 1, 4, &value));
    ck_assert(value == 0.5);
}
END_TEST

/* Value 8/sqrt(16 12) squared = 1/3.  dx = y_c/12 - x_c/24 = (0, 0, -1/6, 1/6), dy = x_c/12 - y_c/18 = (-1/9, -1/9, 2/9,
 * 0).  SMOE_DIVIDE plays no part. */
/* evidence hand: K.9 K.11 */
START_TEST(cka_by_hand)
{
    const double x[] = {0, 0, 4, 4}, y[] = {0, 0, 0, 4}, want_x[] = {0, 0, -1.0 / 6, 1.0 / 6},
                 want_y[] = {-1.0 / 9, -1.0 / 9, 2.0 / 9, 0};
    double dx[4], dy[4];
    for (int route = 0; route < 2; route++)
        for (int d = 0; d < 3; d++) {
            smoe_similarity how = with_estimator(linear_biased, SMOE_HSIC_BIASED, (smoe_similarity_route)route);
            how.divide = (smoe_hsic_divisor)d;
            const double value = cka_of(how, 4, 1, x, 1, y);
            ck_assert_msg(near(value, 1.0 / 3, 1), "K.9 route %d: %a, by hand 1/3", route, value);
            cka_gradient(how, 4, 1, x, 1, y, 1, dx, dy);
            for (size_t i = 0; i < 4; i++) {
                ck_assert_msg(fabs(dx[i] - want_x[i]) <= 0x1p-54, "K.9 dx[%zu] is %a", i, dx[i]);
                ck_assert_msg(fabs(dy[i] - want_y[i]) <= 0x1p-53, "K.9 dy[%zu] is %a", i, dy[i]);
            }
        }
}
END_TEST

typedef struct {
    smoe_moments m;
    double room[64];
} moments_room;

static void start_moments(moments_room *r, size_t p, size_t q)
{
    ck_assert(2 * p + 2 * q + p * q <= 64);
    r->m = (smoe_moments){.p = p,
                          .q = q,
                          .sx = r->room,
                          .sy = r->room + p,
                          .xyy = r->room + p + q,
                          .yxx = r->room + 2 * p + q,
                          .c = r->room + 2 * p + 2 * q};
    smoe_moments_start(&r->m);
}

/* Rows 1, 2 and 3, 1, the spec's; then the same with shifts 10 and -5 taken off 11, 12 and -2, -4. */
/* evidence hand: K.10 K.11 */
START_TEST(moments_by_hand)
{
    const double x[] = {1, 2}, y[] = {3, 1}, far_x[] = {11, 12}, far_y[] = {-2, -4}, ten[] = {10}, five[] = {-5};
    double work[5] = {0, 0, 0, 0, 77}, value; /* rows (p + q) of it are the function's */
    for (int shifted = 0; shifted < 2; shifted++) {
        moments_room r;
        start_moments(&r, 1, 1);
        if (shifted)
            OK(smoe_moments_add(&r.m, 2, far_x, far_y, ten, five, work));
        else
            OK(smoe_moments_add(&r.m, 2, x, y, NULL, NULL, NULL));
        const double got[] = {r.m.sx[0], r.m.sy[0], r.m.c[0], r.m.xyy[0], r.m.yxx[0], r.m.xx, r.m.yy, r.m.xxyy};
        SAME(got, ((double[]){3, 4, 5, 11, 7, 5, 10, 13}), 8, "K.10 moments");
        ck_assert(r.m.n == 2 && work[4] == 77);
        OK(smoe_hsic_moments(&r.m, SMOE_HSIC_BIASED, SMOE_DIVIDE_N_LESS_1, work, &value));
        ck_assert_msg(value == 1, "K.11: %a, by hand (5 - 12/2)^2 = 1", value);
        OK(smoe_hsic_moments(&r.m, SMOE_HSIC_BIASED, SMOE_DIVIDE_N, work, &value));
        ck_assert_msg(value == 0.25, "K.11: %a, by hand 1/4", value);
    }
    /* Two features against one, so that p and q are not confused: x = (1,2), (0,3), y = 2, -1. */
    const double x2[] = {1, 2, 0, 3}, y1[] = {2, -1};
    moments_room r;
    start_moments(&r, 2, 1);
    OK(smoe_moments_add(&r.m, 2, x2, y1, NULL, NULL, NULL));
    SAME(r.m.sx, ((double[]){1, 5}), 2, "K.10 sx");
    SAME(r.m.c, ((double[]){2, 1}), 2, "K.10 c");
    SAME(r.m.xyy, ((double[]){4, 11}), 2, "K.10 xyy"); /* 4 (1,2) + 1 (0,3) */
    SAME(r.m.yxx, ((double[]){1}), 1, "K.10 yxx"); /* 5 2 - 9 */
    ck_assert(r.m.sy[0] == 1 && r.m.xx == 14 && r.m.yy == 5 && r.m.xxyy == 29);
    /* Four rows of the unbiased example: [81 - 81 + 18 18/6 - 81]/4. */
    const double a[] = {0, 0, 3, 3}, b[] = {0, 3, 0, 3};
    start_moments(&r, 1, 1);
    OK(smoe_moments_add(&r.m, 4, a, b, NULL, NULL, NULL));
    OK(smoe_hsic_moments(&r.m, SMOE_HSIC_UNBIASED, SMOE_DIVIDE_NONE, work, &value));
    ck_assert_msg(value == -6.75, "K.11: %a, by hand -27/4", value);
}
END_TEST

/* h = (-27/4, 27/2, 27/2) and (216, 216, 216): in units of 27/4 (-1 + 32)/(2 + 32) = 31/34. */
/* evidence hand: K.12 */
START_TEST(minibatch_by_hand)
{
    const double x[] = {0, 0, 3, 3, 0, 0, 6, 6}, y[] = {0, 3, 0, 3, 0, 0, 6, 6};
    double work[8 * 16 + 16], value;
    OK(smoe_cka_minibatch(&linear_biased, 8, 4, 1, x, 1, y, work, &value));
    ck_assert_msg(value == 31.0 / 34, "K.12: %a, by hand 31/34", value);
    OK(smoe_cka_of_batches(2, -6.75 + 216, 13.5 + 216, 13.5 + 216, &value));
    ck_assert_msg(value == 31.0 / 34, "K.12 of sums: %a, by hand 31/34", value);
    OK(smoe_cka_of_batches(3, 3, 6, 1.5, &value)); /* 1 / sqrt(2 1/2) */
    ck_assert_msg(value == 1, "K.12 of sums: %a, by hand 1", value);
}
END_TEST

/* Cosines 24/25 and -1.  dx_0 = (g/2)(w - k u)/5 with u = (3/5, 4/5), w = (4/5, 3/5): (14/625, -21/1250), dy_0 =
 * (-21/1250, 14/625); the second pair is opposite, so its gradient is 0.  A zero row counts 0. */
/* evidence hand: K.13 */
START_TEST(cosine_by_hand)
{
    const double x[] = {3, 4, 1, 0}, y[] = {4, 3, -1, 0}, zero[] = {0, 0, 2, 0};
    double value, dx[4], dy[4];
    OK(smoe_cosine(2, 2, x, y, &value));
    ck_assert_msg(near(value, -0.02, 16), "K.13: %a, by hand -1/50", value);
    OK(smoe_cosine_absolute(2, 2, x, y, &value));
    ck_assert_msg(near(value, 0.98, 1), "K.13: %a, by hand 49/50", value);
    for (int absolute = 0; absolute < 2; absolute++) {
        if (absolute)
            OK(smoe_cosine_absolute_vjp(2, 2, x, y, 1, dx, dy));
        else
            OK(smoe_cosine_vjp(2, 2, x, y, 1, dx, dy));
        ck_assert_msg(near(dx[0], 14.0 / 625, 16) && near(dx[1], -21.0 / 1250, 16), "K.13: dx %a %a", dx[0], dx[1]);
        ck_assert_msg(near(dy[0], -21.0 / 1250, 16) && near(dy[1], 14.0 / 625, 16), "K.13: dy %a %a", dy[0], dy[1]);
        ck_assert(dx[2] == 0 && dx[3] == 0 && dy[2] == 0 && dy[3] == 0);
    }
    OK(smoe_cosine(2, 2, x, zero, &value));
    ck_assert_msg(value == 0.5, "K.13: a zero row counts 0: %a, by hand 1/2", value);
    OK(smoe_cosine_vjp(2, 2, x, zero, 1, dx, dy));
    ck_assert(dx[0] == 0 && dx[1] == 0 && dy[0] == 0 && dy[1] == 0);
    OK(smoe_cosine_vjp(2, 2, zero, x, 1, dx, dy));
    ck_assert(dx[0] == 0 && dx[1] == 0 && dy[0] == 0 && dy[1] == 0);
    const double across[] = {0, 1, 1, 0}; /* |cosine| at 0, and a negative one */
    OK(smoe_cosine_absolute_vjp(1, 2, x + 2, across, 1, dx, dy));
    ck_assert(dx[0] == 0 && dx[1] == 0 && dy[0] == 0 && dy[1] == 0);
    const double slant[] = {-3, 4};
    OK(smoe_cosine_absolute_vjp(1, 2, x + 2, slant, 1, dx, dy)); /* cosine -3/5; d = -(w + 3/5 u) = -(0, 4/5) */
    ck_assert_msg(fabs(dx[0]) <= 0x1p-53 && near(dx[1], -0.8, 1), "K.13 absolute: dx %a %a", dx[0], dx[1]);
}
END_TEST

/* Half the sum of two huge squares must not overflow; ties of the middle go by rows; an odd number has one middle. */
/* evidence hand: K.3 */
/* (K.2) (K.3) A centred kernel without a bandwidth: samples that are all equal have a median of 0; below 0 there is none; a kernel that
 * is none.  Nothing is written. */
START_TEST(no_bandwidth_no_kernel)
{
    smoe_similarity how = {
        .kernel = SMOE_KERNEL_RBF, .sigma = 1, .bandwidth = SMOE_BANDWIDTH_MEDIAN, .estimator = SMOE_HSIC_BIASED};
    const double equal[] = {1, 2, 1, 2, 1, 2, 1, 2}, apart[] = {1, 2, 3, 5, 8, 13, 21, 34};
    double work[200] = {0}, K[16], variance = -1;
    for (size_t k = 0; k < 16; k++) K[k] = -1;
    ck_assert_int_eq(smoe_gram_centred(&how, 4, 2, equal, work, K, &variance), SMOE_EDOM);
    how.bandwidth = SMOE_BANDWIDTH_ABSOLUTE;
    how.sigma = -1;
    ck_assert_int_eq(smoe_gram_centred(&how, 4, 2, apart, work, K, &variance), SMOE_EDOM);
    how.sigma = 1;
    how.kernel = (smoe_kernel)99;
    ck_assert_int_eq(smoe_gram_centred(&how, 4, 2, apart, work, K, &variance), SMOE_EINVAL);
    how.kernel = SMOE_KERNEL_RBF;
    ck_assert(variance == -1);
    for (size_t k = 0; k < 16; k++) ck_assert(K[k] == -1);
    OK(smoe_gram_centred(&how, 4, 2, apart, work, K, &variance));
}
END_TEST

START_TEST(bandwidth_corners)
{
    const double huge[] = {0, 0x1p1023, 0x1.8p1023, 0}, three[] = {0, 1, 4, 1, 0, 9, 4, 9, 0};
    double variance, dD[9];
    smoe_similarity how = rule(5, 1); /* without, mean, square */
    OK(smoe_bandwidth_median(&how, 2, huge, &variance));
    ck_assert_msg(variance == 0x1.4p1023, "K.3: %a", variance);
    how = rule(0, 1); /* 0 0 0 1 1 4 4 9 9: one middle, 1, at (1,0) after (0,1) */
    OK(smoe_bandwidth_median(&how, 3, three, &variance));
    ck_assert_msg(variance == 1, "K.3 of nine: %a", variance);
    OK(smoe_bandwidth_median_vjp(&how, 3, three, 3, dD));
    SAME(dD, ((double[]){0, 0, 0, 3, 0, 0, 0, 0, 0}), 9, "K.3 dD of nine");
    how = rule(4, 1); /* 1 1 4 4 9 9: 4 and 4 */
    OK(smoe_bandwidth_median_vjp(&how, 3, three, 2, dD));
    SAME(dD, ((double[]){0, 0, 1, 0, 0, 0, 1, 0, 0}), 9, "K.3 dD of six");
}
END_TEST

/* --- gradients ----------------------------------------------------------------------------------------------------
 * The forwards in extended precision, from the specification and by its definitions. */

enum { MOST = 12 }; /* rows */

static void exact_gram(size_t n, size_t p, const long double *x, long double *K)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            K[i * n + j] = 0;
            for (size_t k = 0; k < p; k++) K[i * n + j] += x[i * p + k] * x[j * p + k];
        }
}

static void exact_distances(size_t n, size_t p, const long double *x, long double *D)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            D[i * n + j] = 0;
            for (size_t k = 0; k < p; k++) {
                const long double difference = x[i * p + k] - x[j * p + k];
                D[i * n + j] += difference * difference;
            }
        }
}

static int by_size(const void *a, const void *b)
{
    const long double x = *(const long double *)a, y = *(const long double *)b;
    return (x > y) - (x < y);
}

static long double exact_median(const smoe_similarity *how, size_t n, const long double *D)
{
    long double sorted[MOST * MOST];
    size_t values = 0;
    for (size_t k = 0; k < n * n; k++)
        if (how->diagonal == SMOE_DIAGONAL_WITH || k / n != k % n) sorted[values++] = D[k];
    qsort(sorted, values, sizeof *sorted, by_size);
    const long double a = sorted[(values - 1) / 2];
    const long double b = how->middle == SMOE_MIDDLE_LOWER ? a : sorted[values / 2];
    const long double sigma = how->sigma;
    if (how->median == SMOE_MEDIAN_SQUARE) return sigma * sigma * (a + b) / 2;
    const long double root = sigma * (sqrtl(a) + sqrtl(b)) / 2;
    return root * root;
}

static void exact_rbf(size_t n, const long double *D, long double variance, long double *K)
{
    for (size_t k = 0; k < n * n; k++) K[k] = expl(-D[k] / (2 * variance));
}

/* The bandwidth is taken as given where it is above 0. */
static void exact_kernel(const smoe_similarity *how, size_t n, size_t p, const long double *x, double variance,
                         long double *K)
{
    long double D[MOST * MOST];
    if (how->kernel == SMOE_KERNEL_LINEAR) {
        exact_gram(n, p, x, K);
        return;
    }
    exact_distances(n, p, x, D);
    const long double sigma = how->sigma;
    const long double found = how->bandwidth == SMOE_BANDWIDTH_ABSOLUTE ? sigma * sigma : exact_median(how, n, D);
    exact_rbf(n, D, variance > 0 ? (long double)variance : found, K);
}

static void exact_centre(size_t n, const long double *K, long double *C)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            C[i * n + j] = 0;
            for (size_t k = 0; k < n; k++)
                for (size_t l = 0; l < n; l++) {
                    const long double left = (i == k ? 1 : 0) - 1.0L / (long double)n;
                    const long double right = (l == j ? 1 : 0) - 1.0L / (long double)n;
                    C[i * n + j] += left * K[k * n + l] * right;
                }
        }
}

static void exact_u_centre(size_t n, const long double *K, long double *U)
{
    long double rows[MOST] = {0}, columns[MOST] = {0}, all = 0;
    for (size_t k = 0; k < n * n; k++)
        if (k / n != k % n) {
            rows[k / n] += K[k];
            columns[k % n] += K[k];
            all += K[k];
        }
    const long double N = (long double)n;
    for (size_t k = 0; k < n * n; k++)
        U[k] = k / n == k % n ? 0 : K[k] - (rows[k / n] + columns[k % n]) / (N - 2) + all / ((N - 1) * (N - 2));
}

static long double exact_inner(size_t n, const long double *A, const long double *B)
{
    long double sum = 0;
    for (size_t k = 0; k < n; k++) sum += A[k] * B[k];
    return sum;
}

static long double exact_biased(size_t n, const long double *K, const long double *L, smoe_hsic_divisor divide)
{
    long double C[MOST * MOST], B[MOST * MOST];
    exact_centre(n, K, C);
    exact_centre(n, L, B);
    const long double N = (long double)n;
    const long double by = divide == SMOE_DIVIDE_N_LESS_1 ? (N - 1) * (N - 1) : divide == SMOE_DIVIDE_N ? N * N : 1;
    return exact_inner(n * n, C, B) / by;
}

/* Song's form with matrix products. */
static long double exact_unbiased(size_t n, const long double *K, const long double *L)
{
    long double k[MOST * MOST], l[MOST * MOST], trace = 0, all_k = 0, all_l = 0, cross = 0;
    for (size_t a = 0; a < n * n; a++) {
        k[a] = a / n == a % n ? 0 : K[a];
        l[a] = a / n == a % n ? 0 : L[a];
        all_k += k[a];
        all_l += l[a];
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            trace += k[i * n + j] * l[j * n + i];
            for (size_t m = 0; m < n; m++) cross += k[i * n + m] * l[m * n + j];
        }
    const long double N = (long double)n;
    return (trace + all_k * all_l / ((N - 1) * (N - 2)) - 2 * cross / (N - 2)) / (N * (N - 3));
}

/* What is differentiated.  phi = sum_k cotangent_k (out_k + out_k^2 / 2), so that it is not affine where the outputs are: the
 * Taylor remainder is then not a matter of rounding. */
typedef enum {
    LINEAR,
    DISTANCES,
    BANDWIDTH,
    RBF,
    RBF_LESS_ONE,
    CENTRE,
    CENTRE_FEATURES,
    BIASED,
    U_CENTRE,
    UNBIASED,
    RATIO,
    MOMENTS,
    COSINE,
    COSINE_ABSOLUTE,
    GRAM,
    GRAM_CENTRED,
    HSIC,
    CKA,
    MINIBATCH
} what;

static const char *const what_name[] = {"K.1 linear kernel",
                                        "K.2 distances",
                                        "K.3 bandwidth",
                                        "K.4 RBF kernel",
                                        "K.4 RBF kernel less one",
                                        "K.5 centring",
                                        "K.5 centring of features",
                                        "K.6 biased HSIC",
                                        "K.7 U-centring",
                                        "K.8 unbiased HSIC",
                                        "K.9 ratio",
                                        "K.11 HSIC of moments",
                                        "K.13 cosine",
                                        "K.13 absolute cosine",
                                        "kernel",
                                        "centred kernel",
                                        "HSIC",
                                        "CKA",
                                        "K.12 minibatch CKA"};

/* theta: x then y, or K then L, or D then the variance, or three numbers.  variance[side][batch] is above 0 where the
 * bandwidth is to be held. */
typedef struct {
    what kind;
    smoe_similarity how;
    size_t n, p, q, batch;
    double cotangent[MOST * MOST], variance[2][MOST];
} problem;

static size_t inputs(const problem *t)
{
    const size_t nn = t->n * t->n, x = t->n * t->p, y = t->n * t->q;
    switch (t->kind) {
    case LINEAR:
    case DISTANCES:
    case CENTRE_FEATURES:
    case MOMENTS:
    case GRAM:
    case GRAM_CENTRED:
        return x;
    case BANDWIDTH:
    case CENTRE:
    case U_CENTRE:
        return nn;
    case RBF:
    case RBF_LESS_ONE:
        return nn + 1;
    case BIASED:
    case UNBIASED:
        return 2 * nn;
    case RATIO:
        return 3;
    default:
        return x + y;
    }
}

static size_t outputs(const problem *t)
{
    switch (t->kind) {
    case LINEAR:
    case DISTANCES:
    case RBF:
    case RBF_LESS_ONE:
    case CENTRE:
    case U_CENTRE:
    case GRAM:
    case GRAM_CENTRED:
        return t->n * t->n;
    case CENTRE_FEATURES:
        return t->n * t->p;
    default:
        return 1;
    }
}

/* y of the moments' problem, which is no input there, and the shift of both: not the mean. */
static const double other[] = {0.5, -1, 2, 0.25, 1.5, -0.75, 1, 0, -2, 1.25, 0.5, -0.5, 1, 1, -1, 2};

static void symmetric(size_t n, const long double *M, long double *S)
{
    for (size_t k = 0; k < n * n; k++) S[k] = (M[k] + M[k % n * n + k / n]) / 2;
}

static long double exact_pair(const problem *t, size_t n, const long double *K, const long double *L)
{
    return t->how.estimator == SMOE_HSIC_BIASED ? exact_biased(n, K, L, t->how.divide) : exact_unbiased(n, K, L);
}

static long double exact_similarity(const problem *t, const long double *theta)
{
    long double K[MOST * MOST], L[MOST * MOST], xy = 0, xx = 0, yy = 0;
    const size_t rows = t->kind == MINIBATCH ? t->batch : t->n;
    for (size_t first = 0; first < t->n; first += rows) {
        exact_kernel(&t->how, rows, t->p, theta + first * t->p, t->variance[0][first / rows], K);
        exact_kernel(&t->how, rows, t->q, theta + t->n * t->p + first * t->q, t->variance[1][first / rows], L);
        xy += exact_pair(t, rows, K, L);
        xx += exact_pair(t, rows, K, K);
        yy += exact_pair(t, rows, L, L);
    }
    return t->kind == HSIC ? xy : xy / sqrtl(xx * yy);
}

static long double exact_cosines(const problem *t, const long double *theta)
{
    long double sum = 0;
    for (size_t i = 0; i < t->n; i++) {
        long double xy = 0, xx = 0, yy = 0;
        for (size_t k = 0; k < t->p; k++) {
            const long double a = theta[i * t->p + k], b = theta[(t->n + i) * t->p + k];
            xy += a * b;
            xx += a * a;
            yy += b * b;
        }
        const long double cosine = xy / sqrtl(xx * yy);
        sum += t->kind == COSINE ? cosine : fabsl(cosine);
    }
    return sum / (long double)t->n;
}

static long double exact_of_moments(const problem *t, const long double *theta)
{
    long double K[MOST * MOST], L[MOST * MOST], y[sizeof other / sizeof *other];
    for (size_t k = 0; k < t->n * t->q; k++) y[k] = other[k];
    exact_gram(t->n, t->p, theta, K);
    exact_gram(t->n, t->q, y, L);
    return exact_pair(t, t->n, K, L);
}

static void exact_outputs(const problem *t, const long double *theta, long double *out)
{
    const size_t n = t->n, nn = n * n;
    long double K[MOST * MOST], L[MOST * MOST];
    switch (t->kind) {
    case LINEAR:
        exact_gram(n, t->p, theta, out);
        break;
    case DISTANCES:
        exact_distances(n, t->p, theta, out);
        break;
    case BANDWIDTH:
        *out = exact_median(&t->how, n, theta);
        break;
    case RBF:
        exact_rbf(n, theta, theta[nn], out);
        break;
    case RBF_LESS_ONE:
        exact_rbf(n, theta, theta[nn], out);
        for (size_t k = 0; k < nn; k++) out[k] -= 1;
        break;
    case CENTRE:
        exact_centre(n, theta, out);
        break;
    case CENTRE_FEATURES:
        for (size_t k = 0; k < t->p; k++) {
            long double mean = 0;
            for (size_t i = 0; i < n; i++) mean += theta[i * t->p + k] / (long double)n;
            for (size_t i = 0; i < n; i++) out[i * t->p + k] = theta[i * t->p + k] - mean;
        }
        break;
    case BIASED:
        *out = exact_biased(n, theta, theta + nn, t->how.divide);
        break;
    case U_CENTRE:
        exact_u_centre(n, theta, out);
        break;
    case UNBIASED:
        symmetric(n, theta, K);
        symmetric(n, theta + nn, L);
        *out = exact_unbiased(n, K, L);
        break;
    case RATIO:
        *out = theta[0] / sqrtl(theta[1] * theta[2]);
        break;
    case MOMENTS:
        *out = exact_of_moments(t, theta);
        break;
    case COSINE:
    case COSINE_ABSOLUTE:
        *out = exact_cosines(t, theta);
        break;
    case GRAM:
        exact_kernel(&t->how, n, t->p, theta, t->variance[0][0], out);
        break;
    case GRAM_CENTRED:
        exact_kernel(&t->how, n, t->p, theta, t->variance[0][0], K);
        exact_centre(n, K, out);
        break;
    default:
        *out = exact_similarity(t, theta);
    }
}

static long double exact(const void *test, const long double *theta)
{
    const problem *t = test;
    long double out[MOST * MOST], phi = 0;
    exact_outputs(t, theta, out);
    for (size_t k = 0; k < outputs(t); k++) phi += t->cotangent[k] * (out[k] + out[k] * out[k] / 2);
    return phi;
}

/* A bandwidth that is held is an absolute one.  Only one side's fits into `how`, so that side is the one that moves. */
static smoe_similarity held(const problem *t, int side)
{
    smoe_similarity how = t->how;
    if (t->variance[side][0] > 0) {
        how.bandwidth = SMOE_BANDWIDTH_ABSOLUTE;
        how.sigma = sqrt(t->variance[side][0]);
    }
    return how;
}

static double library_of_moments(const problem *t, const double *x)
{
    moments_room r;
    start_moments(&r, t->p, t->q);
    double work[8], value;
    OK(smoe_moments_add(&r.m, t->n, x, other, NULL, NULL, NULL));
    OK(smoe_hsic_moments(&r.m, t->how.estimator, t->how.divide, work, &value));
    return value;
}

static void library_outputs(const problem *t, const double *theta, double *out)
{
    const size_t n = t->n, nn = n * n, p = t->p, q = t->q;
    const double *y = theta + n * p;
    const smoe_similarity how = held(t, 0);
    double *work = room(10 * nn + n * (p + q) + 2 * n), variance;
    double *K = work + 2 * nn, *L = work + 3 * nn;
    switch (t->kind) {
    case LINEAR:
        OK(smoe_gram_linear(n, p, theta, out));
        break;
    case DISTANCES:
        OK(smoe_squared_distances(n, p, theta, out));
        break;
    case BANDWIDTH:
        OK(smoe_bandwidth_median(&t->how, n, theta, out));
        break;
    case RBF:
        OK(smoe_gram_rbf(n, theta, theta[nn], out));
        break;
    case RBF_LESS_ONE:
        OK(smoe_gram_rbf_less_one(n, theta, theta[nn], out));
        break;
    case CENTRE:
        OK(smoe_centre(n, theta, out));
        break;
    case CENTRE_FEATURES:
        OK(smoe_centre_features(n, p, theta, out));
        break;
    case BIASED:
        OK(smoe_hsic_biased(n, theta, theta + nn, t->how.divide, work, out));
        break;
    case U_CENTRE:
        OK(smoe_u_centre(n, theta, work, out));
        break;
    case UNBIASED:
        for (size_t k = 0; k < nn; k++) {
            K[k] = (theta[k] + theta[k % n * n + k / n]) / 2;
            L[k] = (theta[nn + k] + theta[nn + k % n * n + k / n]) / 2;
        }
        OK(smoe_hsic_unbiased(n, K, L, out));
        break;
    case RATIO:
        OK(smoe_cka_ratio(theta[0], theta[1], theta[2], out));
        break;
    case MOMENTS:
        *out = library_of_moments(t, theta);
        break;
    case COSINE:
        OK(smoe_cosine(n, p, theta, y, out));
        break;
    case COSINE_ABSOLUTE:
        OK(smoe_cosine_absolute(n, p, theta, y, out));
        break;
    case GRAM:
        OK(smoe_gram(&how, n, p, theta, work, out, &variance));
        break;
    case GRAM_CENTRED:
        OK(smoe_gram_centred(&how, n, p, theta, work, out, &variance));
        break;
    case HSIC:
        *out = hsic_of(t->how, n, p, theta, q, y);
        break;
    case CKA:
        *out = cka_of(t->how, n, p, theta, q, y);
        break;
    case MINIBATCH:
        OK(smoe_cka_minibatch(&t->how, n, t->batch, p, theta, q, y, work, out));
        break;
    }
    free(work);
}

static double library(const void *test, const double *theta)
{
    const problem *t = test;
    double out[MOST * MOST], phi = 0;
    library_outputs(t, theta, out);
    for (size_t k = 0; k < outputs(t); k++) phi += t->cotangent[k] * (out[k] + out[k] * out[k] / 2);
    return phi;
}

static void gradient(const problem *t, const double *theta, double *g)
{
    const size_t n = t->n, nn = n * n, p = t->p, q = t->q;
    const double *y = theta + n * p;
    double G[MOST * MOST];
    library_outputs(t, theta, G);
    for (size_t k = 0; k < outputs(t); k++) G[k] = t->cotangent[k] * (1 + G[k]);
    double *work = room(10 * nn + n * (p + q) + 2 * n), *K = work + 2 * nn, *L = work + 3 * nn;
    moments_room r;
    switch (t->kind) {
    case LINEAR:
        OK(smoe_gram_linear_vjp(n, p, theta, G, g));
        break;
    case DISTANCES:
        OK(smoe_squared_distances_vjp(n, p, theta, G, g));
        break;
    case BANDWIDTH:
        OK(smoe_bandwidth_median_vjp(&t->how, n, theta, G[0], g));
        break;
    case RBF:
    case RBF_LESS_ONE:
        OK(smoe_gram_rbf_vjp(n, theta, theta[nn], G, g, g + nn));
        break;
    case CENTRE:
        OK(smoe_centre(n, G, g));
        break;
    case CENTRE_FEATURES:
        OK(smoe_centre_features(n, p, G, g));
        break;
    case BIASED:
        OK(smoe_hsic_biased_vjp(n, theta, theta + nn, t->how.divide, G[0], g, g + nn));
        break;
    case U_CENTRE:
        OK(smoe_u_centre(n, G, work, g));
        break;
    case UNBIASED:
        for (size_t k = 0; k < nn; k++) {
            K[k] = (theta[k] + theta[k % n * n + k / n]) / 2;
            L[k] = (theta[nn + k] + theta[nn + k % n * n + k / n]) / 2;
        }
        OK(smoe_hsic_unbiased_vjp(n, K, L, G[0], work, g, g + nn));
        break;
    case RATIO:
        OK(smoe_cka_ratio_vjp(theta[0], theta[1], theta[2], G[0], g, g + 1, g + 2));
        break;
    case MOMENTS:
        start_moments(&r, p, q);
        OK(smoe_moments_add(&r.m, n, theta, other, NULL, NULL, NULL));
        OK(smoe_hsic_moments_vjp(&r.m, t->how.estimator, t->how.divide, G[0], n, theta, other, work, g));
        break;
    case COSINE:
        OK(smoe_cosine_vjp(n, p, theta, y, G[0], g, g + n * p));
        break;
    case COSINE_ABSOLUTE:
        OK(smoe_cosine_absolute_vjp(n, p, theta, y, G[0], g, g + n * p));
        break;
    case GRAM:
        OK(smoe_gram_vjp(&t->how, n, p, theta, G, work, g));
        break;
    case GRAM_CENTRED:
        OK(smoe_gram_centred_vjp(&t->how, n, p, theta, G, work, g));
        break;
    case HSIC:
        hsic_gradient(t->how, n, p, theta, q, y, G[0], g, g + n * p);
        break;
    case CKA:
        cka_gradient(t->how, n, p, theta, q, y, G[0], g, g + n * p);
        break;
    case MINIBATCH:
        OK(smoe_cka_minibatch_vjp(&t->how, n, t->batch, p, theta, q, y, G[0], work, g, g + n * p));
        break;
    }
    free(work);
}

/* Where the bandwidth is detached, what it is at theta. */
static void hold_bandwidths(problem *t, const double *theta)
{
    if (t->kind < GRAM || t->how.kernel == SMOE_KERNEL_LINEAR || t->how.bandwidth == SMOE_BANDWIDTH_ABSOLUTE) return;
    if (!t->how.detach) return;
    const size_t rows = t->kind == MINIBATCH ? t->batch : t->n;
    double D[MOST * MOST];
    for (size_t first = 0; first < t->n; first += rows) {
        OK(smoe_squared_distances(rows, t->p, theta + first * t->p, D));
        OK(smoe_bandwidth_median(&t->how, rows, D, &t->variance[0][first / rows]));
        if (t->kind < HSIC) continue;
        OK(smoe_squared_distances(rows, t->q, theta + t->n * t->p + first * t->q, D));
        OK(smoe_bandwidth_median(&t->how, rows, D, &t->variance[1][first / rows]));
    }
}

enum { THETA = 2 * MOST * MOST };

static void draw_problem(problem *t, uint64_t seed, double *theta)
{
    uint64_t state = seed + 100;
    slopes_fill(&state, 2.0, inputs(t), theta);
    slopes_fill(&state, 1.0, outputs(t), t->cotangent);
    if (t->kind == BANDWIDTH || t->kind == RBF || t->kind == RBF_LESS_ONE || t->kind == RATIO)
        for (size_t k = 0; k < inputs(t); k++) theta[k] = fabs(theta[k]) + 0.25;
    hold_bandwidths(t, theta);
}

/* The library's own forward does not hold a bandwidth, unless one side of it does. */
static bool has_adjoint(const problem *t) { return !(t->kind >= HSIC && t->variance[0][0] > 0); }

static void both_methods(problem t, const char *name)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        double theta[THETA], g[THETA];
        draw_problem(&t, seed, theta);
        const size_t n = inputs(&t);
        gradient(&t, theta, g);
        const double order = slopes_order_right(n, theta, g, exact, &t, seed);
        ck_assert_msg(order > 1.9, "%s, %s: Taylor remainder falls with order %.3f, not 2", what_name[t.kind], name,
                      order);
        if (!has_adjoint(&t)) continue;
        const double off = slopes_adjoint(n, theta, g, library, &t, 0, n, seed);
        ck_assert_msg(off <= 1e-7, "%s, %s: <cotangent, J v> and <g, v> differ by %.1e", what_name[t.kind], name, off);
    }
}

/* The parts.  What may be any matrix is one: a gradient for symmetric ones only would fail. */
/* evidence gradient: K.1 K.2 K.4 K.5 K.6 K.7 K.8 K.9 K.13 */
START_TEST(gradients_of_the_parts)
{
    static const what parts[] = {LINEAR, DISTANCES, RBF,      RBF_LESS_ONE, CENTRE, CENTRE_FEATURES,
                                 BIASED, U_CENTRE,  UNBIASED, RATIO,        COSINE, COSINE_ABSOLUTE};
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
        both_methods((problem){parts[k], linear_biased, 7, 3, 3, 0, {0}, {{0}}}, "");
    for (int d = 0; d < 3; d++) {
        problem t = {.kind = BIASED, .how = linear_biased, .n = 5, .p = 3, .q = 2};
        t.how.divide = (smoe_hsic_divisor)d;
        both_methods(t, "each divisor");
    }
}
END_TEST

/* evidence gradient: K.3 */
START_TEST(gradients_of_bandwidths)
{
    problem t = {.kind = BANDWIDTH, .how = rule(_i, 0.75), .n = 6};
    both_methods(t, "a rule of the median");
    t.n = 5; /* an odd number of values with the diagonal */
    both_methods(t, "a rule of the median, odd");
    problem u = {.kind = CKA, .how = rule(_i, 0.75), .n = 6, .p = 3, .q = 2};
    both_methods(u, "a rule of the median"); /* not detached */
}
END_TEST

/* evidence gradient: K.4 K.5 K.6 K.8 K.9 K.11 */
START_TEST(gradients_of_similarities)
{
    for (int k = 0; k < KERNELS; k++)
        for (int e = 0; e < 3; e++)
            for (int route = 0; route < (k == 0 ? 2 : 1); route++) {
                problem t = {.kind = (what)_i, .how = kernel_of(k), .n = 7, .p = 3, .q = 2};
                t.how = with_estimator(t.how, (smoe_estimator)e, (smoe_similarity_route)route);
                both_methods(t, kernel_name[k]);
            }
}
END_TEST

/* More features than samples, and moments about a point that is not the mean. */
/* evidence gradient: K.11 */
START_TEST(gradients_of_moments)
{
    for (int e = 0; e < 2; e++)
        for (int d = 0; d < 3; d++) {
            problem t = {.kind = MOMENTS, .how = linear_biased, .n = 5, .p = 2, .q = 3};
            t.how.estimator = (smoe_estimator)e;
            t.how.divide = (smoe_hsic_divisor)d;
            both_methods(t, e == 0 ? "biased" : "unbiased");
            problem u = {.kind = HSIC, .how = t.how, .n = 5, .p = 2, .q = 7};
            u.how.route = SMOE_ROUTE_FEATURES;
            both_methods(u, "features");
        }
}
END_TEST

/* evidence gradient: K.12 */
START_TEST(gradients_of_minibatches)
{
    for (int k = 0; k < KERNELS; k++) {
        const smoe_similarity how = with_estimator(kernel_of(k), SMOE_HSIC_UNBIASED, SMOE_ROUTE_GRAM);
        const problem t = {.kind = MINIBATCH, .how = how, .n = 12, .p = 3, .q = 2, .batch = 6};
        both_methods(t, kernel_name[k]);
    }
}
END_TEST

/* Negative control: an entry off by 1/1000, half of it, none, and the slips of this chapter. */
START_TEST(a_wrong_gradient_is_seen)
{
    for (int kind = LINEAR; kind <= MINIBATCH; kind++) {
        problem t = {
            .kind = (what)kind, .how = kernel_of(kind == BANDWIDTH ? 3 : 1), .n = 6, .p = 2, .q = 2, .batch = 6};
        if (kind == MOMENTS) t.how = kernel_of(0);
        if (kind == MINIBATCH) t.how.estimator = SMOE_HSIC_UNBIASED;
        double theta[THETA], g[THETA];
        draw_problem(&t, 7, theta);
        const size_t n = inputs(&t);
        gradient(&t, theta, g);
        size_t largest = 0;
        for (size_t k = 0; k < n; k++)
            if (fabs(g[k]) > fabs(g[largest])) largest = k;
        g[largest] *= 1.001;
        ck_assert_msg(slopes_order(n, theta, g, exact, &t, 7) < 1.7, "%s: Taylor accepts 1/1000", what_name[kind]);
        ck_assert_msg(slopes_adjoint(n, theta, g, library, &t, 0, n, 7) > 1e-6, "%s: so does adjoint", what_name[kind]);
        gradient(&t, theta, g);
        for (size_t k = 0; k < n; k++) g[k] /= 2;
        ck_assert_msg(slopes_order(n, theta, g, exact, &t, 7) < 1.5, "%s: Taylor accepts half", what_name[kind]);
        for (size_t k = 0; k < n; k++) g[k] = 0;
        ck_assert_msg(slopes_order(n, theta, g, exact, &t, 7) < 1.5, "%s: Taylor accepts none", what_name[kind]);
    }
    /* Detached where it is trained. */
    problem t = {.kind = CKA, .how = kernel_of(3), .n = 7, .p = 3, .q = 2};
    double theta[THETA], g[THETA];
    draw_problem(&t, 7, theta);
    problem detached = t;
    detached.how.detach = true;
    gradient(&detached, theta, g);
    ck_assert_msg(slopes_order(inputs(&t), theta, g, exact, &t, 7) < 1.5,
                  "K.3: a detached bandwidth passes for trained");
}
END_TEST

/* --- properties --------------------------------------------------------------------------------------------------- */

/* Every kind of CKA that there is: kernels, estimators, routes. */
enum { KINDS = 15 };

static smoe_similarity kind_of(int i, const char **name)
{
    static const int kernel[KINDS] = {0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 0, 0, 0};
    *name = i < 12 ? kernel_name[kernel[i]] : "linear by features";
    return with_estimator(kernel_of(kernel[i]), (smoe_estimator)(i % 3),
                          i < 12 ? SMOE_ROUTE_GRAM : SMOE_ROUTE_FEATURES);
}

static void related(uint64_t seed, size_t n, size_t p, double *x, size_t q, double *y)
{
    slopes_fill(&seed, 1.0, n * p, x);
    slopes_fill(&seed, 1.0, n * q, y);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < q; k++) y[i * q + k] += x[i * p + k % p];
}

static double largest(size_t n, const double *x)
{
    double most = 0;
    for (size_t k = 0; k < n; k++) most = fmax(most, fabs(x[k]));
    return most;
}

enum { PN = 24, PP = 4, PQ = 3 };

/* CKA(x,x) is 1 to the bit and its gradient 0 to the bit: exact collapse is stationary.  Also for tiny and huge features,
 * where the linear kernel's HSIC runs from 1e-120 to 1e120. */
/* evidence properties: K.6 K.8 K.9 K.11 */
START_TEST(collapse_is_one_and_stationary)
{
    const char *name;
    const smoe_similarity how = kind_of(_i, &name);
    for (int e = -30; e <= 30; e += 10) {
        if (how.kernel == SMOE_KERNEL_RBF && how.bandwidth == SMOE_BANDWIDTH_ABSOLUTE && e != 0) continue;
        double x[PN * PP], dx[PN * PP], dy[PN * PP];
        uint64_t seed = (uint64_t)(40 + e);
        slopes_fill(&seed, pow(10, e), PN * PP, x);
        const double value = cka_of(how, PN, PP, x, PP, x);
        ck_assert_msg(value == 1, "K.9, %s at 1e%d: CKA(x,x) is %a", name, e, value);
        cka_gradient(how, PN, PP, x, PP, x, 1, dx, dy);
        ck_assert_msg(largest(PN * PP, dx) == 0 && largest(PN * PP, dy) == 0, "K.9, %s: its gradient is %a", name,
                      largest(PN * PP, dx));
    }
}
END_TEST

/* CKA(x,y) = CKA(y,x), to the bit by Gram matrices; the gradients change places. */
/* evidence properties: K.6 K.8 K.9 K.11 */
START_TEST(similarity_is_symmetric)
{
    const char *name;
    const smoe_similarity how = kind_of(_i, &name);
    double x[PN * PP], y[PN * PQ], dx[PN * PP], dy[PN * PQ], ex[PN * PP], ey[PN * PQ];
    related(3, PN, PP, x, PQ, y);
    const double one = cka_of(how, PN, PP, x, PQ, y), two = cka_of(how, PN, PQ, y, PP, x);
    const double ulps = how.route == SMOE_ROUTE_GRAM ? 0 : 64;
    ck_assert_msg(near(one, two, ulps), "K.9, %s: CKA(x,y) is %a, CKA(y,x) is %a", name, one, two);
    const double h = hsic_of(how, PN, PP, x, PQ, y), i = hsic_of(how, PN, PQ, y, PP, x);
    ck_assert_msg(near(h, i, ulps), "K.6, K.8, %s: HSIC(x,y) is %a, HSIC(y,x) is %a", name, h, i);
    cka_gradient(how, PN, PP, x, PQ, y, 1, dx, dy);
    cka_gradient(how, PN, PQ, y, PP, x, 1, ey, ex);
    for (size_t k = 0; k < PN * PP; k++) ck_assert(fabs(dx[k] - ex[k]) <= 64 * ulps * 0x1p-52 * largest(PN * PP, dx));
    for (size_t k = 0; k < PN * PQ; k++) ck_assert(fabs(dy[k] - ey[k]) <= 64 * ulps * 0x1p-52 * largest(PN * PQ, dy));
}
END_TEST

/* Multiples of 2^-20, to which 1e3, 1e6 and 1e8 are added exactly: no bit of the value or of the gradients changes. */
/* evidence properties: K.2 K.3 K.4 K.5 K.9 K.11 */
START_TEST(offsets_change_no_bit)
{
    const char *name;
    const smoe_similarity how = kind_of(_i, &name);
    static const double offset[] = {1e3, 1e6, 1e8, -1e8};
    double x[PN * PP], y[PN * PQ], dx[PN * PP], dy[PN * PQ], ex[PN * PP], ey[PN * PQ], far_x[PN * PP], far_y[PN * PQ];
    related(5, PN, PP, x, PQ, y);
    for (size_t k = 0; k < PN * PP; k++) x[k] = nearbyint(0x1p20 * x[k]) * 0x1p-20;
    for (size_t k = 0; k < PN * PQ; k++) y[k] = nearbyint(0x1p20 * y[k]) * 0x1p-20;
    const double value = cka_of(how, PN, PP, x, PQ, y);
    cka_gradient(how, PN, PP, x, PQ, y, 1, dx, dy);
    for (int o = 0; o < 4; o++) {
        for (size_t k = 0; k < PN * PP; k++) {
            far_x[k] = x[k] + offset[o] * (double)(k % PP + 1); /* each feature by another amount */
            ck_assert(far_x[k] - offset[o] * (double)(k % PP + 1) == x[k]);
        }
        for (size_t k = 0; k < PN * PQ; k++) far_y[k] = y[k] - offset[o];
        const double moved = cka_of(how, PN, PP, far_x, PQ, far_y);
        ck_assert_msg(moved == value, "K.9, %s: %a at an offset of %g, else %a", name, moved, offset[o], value);
        cka_gradient(how, PN, PP, far_x, PQ, far_y, 1, ex, ey);
        ck_assert_msg(memcmp(dx, ex, sizeof dx) == 0 && memcmp(dy, ey, sizeof dy) == 0,
                      "K.9, %s: the gradient changes at an offset of %g", name, offset[o]);
    }
}
END_TEST

/* A column of equal values is exactly 0 when it is centred, whatever n and the value are. */
/* evidence properties: K.5 K.9 */
START_TEST(constant_features_have_no_similarity)
{
    const char *name;
    const smoe_similarity how = kind_of(_i, &name);
    static const double constant[] = {0.1, 1e8 / 3, -1e-9, 0};
    double x[PN * PP], y[PN * PQ], *work = room(smoe_cka_work(&how, PN, PP, PQ)), value, dx[PN * PP], dy[PN * PQ];
    related(5, PN, PP, x, PQ, y);
    const bool median = how.bandwidth == SMOE_BANDWIDTH_MEDIAN;
    for (int c = 0; c < 4; c++) {
        for (size_t k = 0; k < PN * PP; k++) x[k] = constant[c] * (double)(k % PP + 1);
        value = poison;
        if (!median) {
            OK(smoe_hsic(&how, PN, PP, x, PQ, y, work, &value));
            ck_assert_msg(value == 0, "%s: HSIC of constant features is %a", name, value);
        }
        poison_all(PN * PP, dx);
        poison_all(PN * PQ, dy);
        value = poison;
        ck_assert_int_eq(smoe_cka(&how, PN, PP, x, PQ, y, work, &value), SMOE_EDOM);
        ck_assert_int_eq(smoe_cka(&how, PN, PQ, y, PP, x, work, &value), SMOE_EDOM);
        ck_assert_int_eq(smoe_cka_vjp(&how, PN, PP, x, PQ, y, 1, work, dx, dy), SMOE_EDOM);
        ck_assert_int_eq(smoe_cka_vjp(&how, PN, PQ, y, PP, x, 1, work, dy, dx), SMOE_EDOM);
        ck_assert_msg(value == poison && untouched(PN * PP, dx) && untouched(PN * PQ, dy),
                      "%s: CKA without variance wrote something", name);
    }
    free(work);
}
END_TEST

/* Features turned (by rotations with cosine 3/5 in planes (k,k+1)), swapped and with other signs; scaled by a power of
 * two (no bit changes) and by 3: for linear kernels and medians.  An absolute bandwidth is not invariant to scale.  The bound: p rotations and products of
 * p terms, over 1 - CKA or so of cancellation in the ratio; 2^12 ulps are 1e-12. */
/* evidence properties: K.1 K.2 K.3 K.9 K.11 */
START_TEST(turned_and_scaled_features_are_alike)
{
    const char *name;
    const smoe_similarity how = kind_of(_i, &name);
    const bool scale_free = !(how.kernel == SMOE_KERNEL_RBF && how.bandwidth == SMOE_BANDWIDTH_ABSOLUTE);
    double x[PN * PP], y[PN * PQ], turned[PN * PP], scaled[PN * PP];
    related(7, PN, PP, x, PQ, y);
    const double value = cka_of(how, PN, PP, x, PQ, y);
    memcpy(turned, x, sizeof x);
    for (size_t i = 0; i < PN; i++) {
        for (size_t k = 0; k + 1 < PP; k++) {
            const double a = turned[i * PP + k], b = turned[i * PP + k + 1];
            turned[i * PP + k] = 0.6 * a - 0.8 * b;
            turned[i * PP + k + 1] = 0.8 * a + 0.6 * b;
        }
        const double first = turned[i * PP];
        turned[i * PP] = -turned[i * PP + 2];
        turned[i * PP + 2] = first;
    }
    ck_assert_msg(fabs(cka_of(how, PN, PP, turned, PQ, y) - value) <= 0x1p-40, "K.9, %s: rotation changed it", name);
    static const double by[] = {0x1p-40, 0x1p40, 4, 3, 1e-5};
    for (int s = scale_free ? 0 : 2; s < 5; s++) {
        for (size_t k = 0; k < PN * PP; k++) scaled[k] = by[s] * x[k];
        const double other_value = cka_of(how, PN, PP, scaled, PQ, y);
        if (!scale_free)
            ck_assert_msg(fabs(other_value - value) > 1e-3, "K.4, %s: an absolute bandwidth saw no scale", name);
        else if (s < 3)
            ck_assert_msg(other_value == value, "K.9, %s times %a: %a, not %a", name, by[s], other_value, value);
        else
            ck_assert_msg(fabs(other_value - value) <= 0x1p-40, "K.9, %s times %g: %a", name, by[s], other_value);
    }
    /* Not invariant to an invertible linear map: one feature alone is scaled. */
    for (size_t k = 0; k < PN * PP; k++) scaled[k] = k % PP == 0 ? 10 * x[k] : x[k];
    ck_assert_msg(fabs(cka_of(how, PN, PP, scaled, PQ, y) - value) > 1e-3, "%s: a linear map changed nothing", name);
}
END_TEST

/* The gradient of CKA: its rows sum to 0 (translation), and <x, dx> = 0 where scale does not count. */
/* evidence properties: K.2 K.4 K.9 K.11 */
START_TEST(gradients_keep_the_invariances)
{
    const char *name;
    const smoe_similarity how = kind_of(_i, &name);
    double x[PN * PP], y[PN * PQ], dx[PN * PP], dy[PN * PQ];
    related(9, PN, PP, x, PQ, y);
    cka_gradient(how, PN, PP, x, PQ, y, 1, dx, dy);
    const double most = largest(PN * PP, dx);
    double along = 0;
    for (size_t k = 0; k < PP; k++) {
        double sum = 0;
        for (size_t i = 0; i < PN; i++) {
            sum += dx[i * PP + k];
            along += x[i * PP + k] * dx[i * PP + k];
        }
        ck_assert_msg(fabs(sum) <= 0x1p-40 * most, "K.9, %s: column %zu of dx sums to %g", name, k, sum);
    }
    const bool held = how.kernel == SMOE_KERNEL_RBF && (how.bandwidth == SMOE_BANDWIDTH_ABSOLUTE || how.detach);
    ck_assert_msg(held || fabs(along) <= 0x1p-40 * most, "K.9, %s: <x, dx> is %g", name, along);
    ck_assert_msg(!held || fabs(along) > 1e-3 * most, "K.3, %s: a held bandwidth has no <x, dx>?", name);
}
END_TEST

/* Biased: 0 <= CKA <= 1.  Unbiased: within [-1,1], and below 0 about as often as not for independent features.  Up to
 * rounding: 2^-48 where the values are of order 1. */
/* evidence properties: K.6 K.8 K.9 */
START_TEST(ranges_of_cka)
{
    const char *name;
    const smoe_similarity how = kind_of(_i, &name);
    const bool biased = how.estimator == SMOE_HSIC_BIASED;
    int negative = 0;
    enum { DRAWS = 400 };
    for (int d = 0; d < DRAWS; d++) {
        uint64_t seed = (uint64_t)d;
        const size_t n = 4 + (size_t)(d % 9), p = 1 + (size_t)(d % 4), q = 1 + (size_t)(d % 3);
        double x[48], y[48];
        slopes_fill(&seed, 1.0, n * p, x);
        slopes_fill(&seed, 1.0, n * q, y);
        const double value = cka_of(how, n, p, x, q, y);
        ck_assert_msg(value <= 1 + 0x1p-48 && value >= (biased ? 0 : -1) - 0x1p-48, "K.9, %s: CKA is %.17g", name,
                      value);
        negative += value < 0;
    }
    ck_assert_msg(biased || (negative > DRAWS / 3 && negative < 4 * DRAWS / 5),
                  "K.8, %s: %d of %d independent pairs are negative", name, negative, DRAWS);
}
END_TEST

/* Two samples that differ have biased CKA 1 and no gradient. */
/* evidence properties: K.9 */
START_TEST(two_samples_say_nothing)
{
    for (int k = 0; k < KERNELS; k++)
        for (int route = 0; route < (k == 0 ? 2 : 1); route++) {
            const smoe_similarity how = with_estimator(kernel_of(k), SMOE_HSIC_BIASED, (smoe_similarity_route)route);
            const double x[] = {1, 2, -0.5, 0.25}, y[] = {3, 2.5};
            double dx[4], dy[2];
            const double value = cka_of(how, 2, 2, x, 1, y);
            ck_assert_msg(near(value, 1, 4), "K.9, %s: CKA of two samples is %.17g", kernel_name[k], value);
            cka_gradient(how, 2, 2, x, 1, y, 1, dx, dy);
            ck_assert_msg(largest(4, dx) <= 0x1p-48 && largest(2, dy) <= 0x1p-48, "K.9, %s: and a gradient of %g",
                          kernel_name[k], largest(4, dx));
        }
}
END_TEST

static double norm_squared(size_t n, const double *x) { return smoe_dot(n, x, x); }

/* HKH by its definition, in rank-one form and of centred features.  To first order an element of the first has an error
 * of at most (2n + 4) u |K|_F-ish; p u |X|^2 more for the product: (4n + 2p + 16) u |X_c|_F^2 covers both sides. */
/* evidence properties: K.1 K.5 */
START_TEST(three_ways_of_centring_agree)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        const size_t n = 3 + seed, p = 1 + seed % 5;
        double x[23 * 5], xc[23 * 5], K[23 * 23], Kc[23 * 23], one[23 * 23], two[23 * 23], work[2 * 23 * 23];
        uint64_t state = seed;
        slopes_fill(&state, 1.0, n * p, x);
        OK(smoe_centre_features(n, p, x, xc));
        OK(smoe_gram_linear(n, p, x, K));
        OK(smoe_gram_linear(n, p, xc, Kc));
        OK(smoe_centre(n, K, one));
        OK(smoe_centre_definition(n, K, work, two));
        const double bound = (4.0 * (double)n + 2.0 * (double)p + 16) * 0x1p-53 * norm_squared(n * p, x);
        for (size_t k = 0; k < n * n; k++) {
            ck_assert_msg(fabs(one[k] - two[k]) <= bound, "K.5: %a by rank one, %a by definition", one[k], two[k]);
            ck_assert_msg(fabs(one[k] - Kc[k]) <= bound, "K.5: %a, %a of centred features", one[k], Kc[k]);
            ck_assert_msg(fabs(K[k] - K[k % n * n + k / n]) == 0, "K.1: not symmetric");
        }
        for (size_t i = 0; i < n; i++) {
            double row = 0, column = 0;
            for (size_t j = 0; j < n; j++) {
                row += one[i * n + j];
                column += one[j * n + i];
            }
            ck_assert_msg(fabs(row) <= (double)n * bound && fabs(column) <= (double)n * bound, "K.5: a row sums to %g",
                          row);
        }
    }
}
END_TEST

/* Centring one matrix is enough for the biased form; and without any it is another number. */
/* evidence properties: K.5 K.6 */
START_TEST(one_centring_is_enough)
{
    double x[PN * PP], y[PN * PQ], K[PN * PN], L[PN * PN], C[PN * PN], work[2 * PN * PN], value;
    related(11, PN, PP, x, PQ, y);
    for (size_t i = 0; i < PN * PP; i++) x[i] += 1;
    for (size_t i = 0; i < PN * PQ; i++) y[i] += 1;
    OK(smoe_gram_linear(PN, PP, x, K));
    OK(smoe_gram_linear(PN, PQ, y, L));
    OK(smoe_centre(PN, K, C));
    OK(smoe_hsic_biased(PN, K, L, SMOE_DIVIDE_NONE, work, &value));
    ck_assert(fabs(smoe_dot(PN * PN, C, L) - value) <= 0x1p-40 * value);
    ck_assert(fabs(smoe_dot(PN * PN, K, L) - value) > value);
}
END_TEST

/* U(K): rows sum to 0, zero diagonal, symmetric to the bit; a_i + a_j goes to 0; U(U(K)) = U(K).  The two forms of HSIC_1
 * agree within their roundings, (26 n + 50) u |K||L|. */
/* evidence properties: K.7 K.8 */
START_TEST(u_centring_is_a_projection)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        const size_t n = 3 + seed;
        double x[23 * 3], y[23 * 2], K[23 * 23], L[23 * 23], U[23 * 23], V[23 * 23], sums[2 * 23], work[2 * 23 * 24];
        related(seed, n, 3, x, 2, y);
        OK(smoe_gram_linear(n, 3, x, K));
        OK(smoe_gram_linear(n, 2, y, L));
        OK(smoe_u_centre(n, K, sums, U));
        const double size = sqrt(norm_squared(n * n, K));
        for (size_t i = 0; i < n; i++) {
            ck_assert_msg(fabs(smoe_sum(n, U + i * n)) <= 0x1p-44 * size, "K.7: row %zu sums to %g", i,
                          smoe_sum(n, U + i * n));
            ck_assert(U[i * n + i] == 0);
            for (size_t j = 0; j < n; j++) ck_assert(U[i * n + j] == U[j * n + i]);
        }
        OK(smoe_u_centre(n, U, sums, V));
        for (size_t k = 0; k < n * n; k++)
            ck_assert_msg(fabs(U[k] - V[k]) <= 0x1p-44 * size, "K.7: U(U(K)) is not U(K)");
        for (size_t k = 0; k < n * n; k++) V[k] = K[k] + x[k / n] + x[k % n] + (k / n == k % n ? 7 : 0);
        OK(smoe_u_centre(n, V, sums, work));
        for (size_t k = 0; k < n * n; k++)
            ck_assert_msg(fabs(U[k] - work[k]) <= 0x1p-44 * (size + 7), "K.7: not removed");
        if (n < 4) continue;
        double song, centred;
        OK(smoe_hsic_unbiased(n, K, L, &song));
        OK(smoe_hsic_debiased(n, K, L, work, &centred));
        const double N = (double)n, ab = sqrt(norm_squared(n * n, K) * norm_squared(n * n, L));
        const double bound = (26 * N + 50) * 0x1p-53 * ab / (N * (N - 3));
        ck_assert_msg(fabs(song - centred) <= bound, "K.8: Song %a, U-centred %a, bound %a", song, centred, bound);
    }
}
END_TEST

/* By Gram matrices and by features, within the bounds derived in (K.11), for p and q below and above n. */
/* evidence properties: K.6 K.8 K.11 */
START_TEST(routes_agree_within_their_bound)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        const size_t n = 4 + seed * 7 % 30, p = 1 + seed % 11, q = 1 + seed % 40;
        double x[33 * 11], y[33 * 40], xc[33 * 11], yc[33 * 40];
        related(seed, n, p, x, q, y);
        OK(smoe_centre_features(n, p, x, xc));
        OK(smoe_centre_features(n, q, y, yc));
        const double N = (double)n, P = (double)p, Q = (double)q;
        const double uab = 0x1p-53 * norm_squared(n * p, xc) * norm_squared(n * q, yc);
        for (int e = 0; e < 3; e++) {
            smoe_similarity how = with_estimator(linear_biased, (smoe_estimator)e, SMOE_ROUTE_GRAM);
            how.divide = SMOE_DIVIDE_NONE;
            const double gram = hsic_of(how, n, p, x, q, y);
            how.route = SMOE_ROUTE_FEATURES;
            const double features = hsic_of(how, n, p, x, q, y);
            const double bound = e == 0 ? (12 * N + P * Q + P + Q + 16) * uab
                                        : (82 * N + P * Q + 50 * (P + Q) + 140) * uab / (N * (N - 3));
            ck_assert_msg(fabs(gram - features) <= bound, "K.11: %a by Gram matrices, %a by features, bound %a", gram,
                          features, bound);
            ck_assert_msg(bound < 1e-9 * fmax(1, fabs(gram)) * N * N, "the bound says nothing");
        }
    }
}
END_TEST

/* divide is read by HSIC alone: no divisor, not even one that there is not, changes a bit of CKA or of its gradient. */
/* evidence properties: K.9 */
START_TEST(divisors_do_not_touch_cka)
{
    enum { ROWS = 7, P = 3, Q = 2 };
    double x[ROWS * P], y[ROWS * Q], dx[ROWS * P], dy[ROWS * Q], gx[ROWS * P], gy[ROWS * Q];
    for (uint64_t seed = 1; seed <= 20; seed++) {
        related(seed, ROWS, P, x, Q, y);
        for (int route = 0; route < 2; route++) {
            smoe_similarity how = with_estimator(linear_biased, SMOE_HSIC_BIASED, (smoe_similarity_route)route);
            how.divide = SMOE_DIVIDE_NONE;
            const double cka = cka_of(how, ROWS, P, x, Q, y);
            cka_gradient(how, ROWS, P, x, Q, y, 1, dx, dy);
            for (int d = 0; d < 4; d++) {
                how.divide = (smoe_hsic_divisor)d;
                SAME(((double[]){cka_of(how, ROWS, P, x, Q, y)}), &cka, 1, "K.9 cka");
                cka_gradient(how, ROWS, P, x, Q, y, 1, gx, gy);
                SAME(gx, dx, ROWS * P, "K.9 dx");
                SAME(gy, dy, ROWS * Q, "K.9 dy");
            }
        }
    }
}
END_TEST

/* Moments do not depend on how rows are cut: all at once, one by one, in blocks of 1, 2, 3, ...; nor does the feature
 * route, whose block is shorter than these rows. */
/* evidence properties: K.10 */
START_TEST(blocks_change_no_bit)
{
    enum { ROWS = 40, P = 3, Q = 5 };
    double x[ROWS * P], y[ROWS * Q], sx[P] = {0.25, -1, 3}, sy[Q] = {0}, work[ROWS * (P + Q)];
    related(13, ROWS, P, x, Q, y);
    moments_room whole, parts;
    start_moments(&whole, P, Q);
    OK(smoe_moments_add(&whole.m, ROWS, x, y, sx, sy, work));
    for (size_t longest = 1; longest < 9; longest++) {
        start_moments(&parts, P, Q);
        for (size_t first = 0, rows = longest; first < ROWS; first += rows, rows = rows == 1 ? longest : rows - 1) {
            if (rows > ROWS - first) rows = ROWS - first;
            OK(smoe_moments_add(&parts.m, rows, x + first * P, y + first * Q, sx, sy, work));
        }
        ck_assert_msg(memcmp(whole.room, parts.room, (2 * P + 2 * Q + P * Q) * sizeof(double)) == 0,
                      "K.10: blocks of up to %zu rows change a bit", longest);
        ck_assert(parts.m.n == ROWS && parts.m.xx == whole.m.xx && parts.m.yy == whole.m.yy &&
                  parts.m.xxyy == whole.m.xxyy);
    }
    OK(smoe_moments_add(&parts.m, 0, x, y, sx, sy, work)); /* no rows */
    ck_assert(memcmp(whole.room, parts.room, (2 * P + 2 * Q + P * Q) * sizeof(double)) == 0);
}
END_TEST

/* 600 rows are more than two blocks of the feature route: it is still the moments of all centred rows in one call. */
/* evidence properties: K.10 K.11 */
START_TEST(many_rows_by_features)
{
    enum { ROWS = 600, P = 3, Q = 2 };
    double *x = room(ROWS * P), *y = room(ROWS * Q), *xc = room(ROWS * P), *yc = room(ROWS * Q), work[P * Q + P], value;
    double *dx = room(ROWS * P), *dy = room(ROWS * Q), *ex = room(ROWS * P), *ey = room(ROWS * Q);
    related(17, ROWS, P, x, Q, y);
    OK(smoe_centre_features(ROWS, P, x, xc));
    OK(smoe_centre_features(ROWS, Q, y, yc));
    for (int e = 0; e < 2; e++) {
        const smoe_similarity how = with_estimator(linear_biased, (smoe_estimator)e, SMOE_ROUTE_FEATURES);
        moments_room r;
        start_moments(&r, P, Q);
        OK(smoe_moments_add(&r.m, ROWS, xc, yc, NULL, NULL, NULL));
        OK(smoe_hsic_moments(&r.m, how.estimator, how.divide, work, &value));
        ck_assert_msg(hsic_of(how, ROWS, P, x, Q, y) == value, "K.11: blocks of the feature route change a bit");
        hsic_gradient(how, ROWS, P, x, Q, y, 2, dx, dy);
        OK(smoe_hsic_moments_vjp(&r.m, how.estimator, how.divide, 2, ROWS, xc, yc, work, ex));
        for (size_t k = 0; k < ROWS * P; k++) ck_assert_msg(dx[k] == ex[k], "K.11: dx[%zu] differs", k);
    }
    for (int e = 0; e < 2; e++) { /* CKA's gradient has a second part */
        smoe_similarity how = with_estimator(linear_biased, (smoe_estimator)e, SMOE_ROUTE_FEATURES);
        cka_gradient(how, ROWS, P, x, Q, y, 1, dx, dy);
        how.route = SMOE_ROUTE_GRAM;
        cka_gradient(how, ROWS, P, x, Q, y, 1, ex, ey);
        for (size_t k = 0; k < ROWS * P; k++) ck_assert(fabs(dx[k] - ex[k]) <= 0x1p-36 * largest(ROWS * P, ex));
        for (size_t k = 0; k < ROWS * Q; k++) ck_assert(fabs(dy[k] - ey[k]) <= 0x1p-36 * largest(ROWS * Q, ey));
    }
    free(x), free(y), free(xc), free(yc), free(dx), free(dy), free(ex), free(ey);
}
END_TEST

/* --- the engine of `smoeref cka`, which takes a matrix of similarities in passes over files --- */

static double *engine_similarities(similarity_request q, size_t R, size_t n, const size_t *p, double *const *x,
                                   size_t *passes)
{
    static const char *const label[] = {"a", "b", "c"};
    char err[256], path[] = "/tmp/check_similarity.XXXXXX";
    const char *const files[] = {path};
    const dump_choice every = {0};
    const int descriptor = mkstemp(path);
    tensor_file f = {0};
    dump d;
    similarity_result r;
    ck_assert_int_ge(descriptor, 0);
    close(descriptor);
    for (size_t i = 0; i < R; i++)
        ck_assert_int_eq(tensor_file_add(&f, label[i], TENSOR_F64, 2, (size_t[]){n, p[i]}, x[i]), 0);
    ck_assert_msg(tensor_file_write(path, &f, err, sizeof err) == 0, "%s", err);
    tensor_file_clear(&f);
    ck_assert_msg(dump_open(&d, 1, files, &every, err, sizeof err) == 0, "%s", err);
    ck_assert_msg(similarity_matrix(&d, &q, &r, err, sizeof err) == 0, "%s", err);
    double *cka = room(R * R);
    memcpy(cka, r.cka, R * R * sizeof *cka);
    *passes = r.passes;
    similarity_clear(&r);
    dump_close(&d);
    unlink(path);
    return cka;
}

/* HSIC of rows less the mean of the first `first` of them, a hundred at a time. */
static double hsic_in_blocks(smoe_estimator estimator, size_t n, size_t first, size_t p, const double *x, size_t q,
                             const double *y)
{
    moments_room r;
    double *shift = room(p + q), *work = room(100 * (p + q)), value;
    for (size_t k = 0; k < p + q; k++) {
        const double *column = k < p ? x + k : y + (k - p);
        const size_t width = k < p ? p : q;
        for (size_t i = 0; i < first; i++) shift[k] += column[i * width] - column[0];
        shift[k] = column[0] + shift[k] / (double)first;
    }
    start_moments(&r, p, q);
    for (size_t i = 0; i < n; i += 100)
        OK(smoe_moments_add(&r.m, n - i < 100 ? n - i : 100, x + i * p, y + i * q, shift, shift + p, work));
    OK(smoe_hsic_moments(&r.m, estimator, SMOE_DIVIDE_N_LESS_1, work, &value));
    free(shift);
    free(work);
    return value;
}

/* Sums that the engine takes once a matrix are those of (K.10), pair by pair, to the bit; in one pass and in three: beside
 * 107104 bytes of blocks and sums, 300 hold three of the pairs' products of 72, 120, 96, 200, 160 and 128, then one, then two. */
/* evidence properties: K.10 K.11 */
START_TEST(the_engine_has_the_bits_of_moments)
{
    enum { R = 3, N = 1100 };
    const size_t p[R] = {3, 5, 4};
    double *x[R] = {room(N * 3), room(N * 5), room(N * 4)};
    related(1, N, p[0], x[0], p[1], x[1]);
    related(2, N, p[0], x[0], p[2], x[2]);
    for (int e = 0; e < 3; e++) {
        double h[R][R], want[R * R];
        for (size_t i = 0; i < R; i++)
            for (size_t j = i; j < R; j++) h[i][j] = hsic_in_blocks((smoe_estimator)e, N, 1024, p[i], x[i], p[j], x[j]);
        for (size_t k = 0; k < R * R; k++) {
            const size_t i = k / R < k % R ? k / R : k % R, j = k / R + k % R - i;
            OK(smoe_cka_ratio(h[i][j], h[i][i], h[j][j], &want[k]));
        }
        for (int small = 0; small < 2; small++) {
            size_t passes;
            const similarity_request q = {.how = {.estimator = (smoe_estimator)e},
                                          .route = SIMILARITY_BY_FEATURES,
                                          .memory = small ? 107104 + 300 : 1 << 20};
            double *got = engine_similarities(q, R, N, p, x, &passes);
            ck_assert_msg(memcmp(got, want, sizeof want) == 0, "estimator %d in %zu passes: %a, by moments %a", e,
                          passes, got[1], want[1]);
            ck_assert_uint_eq(passes, small ? 3 : 1);
            free(got);
        }
    }
    for (size_t i = 0; i < R; i++) free(x[i]);
}
END_TEST

/* The far samples of far_samples_by_hand. */
/* evidence properties: K.8 K.12 */
START_TEST(the_engine_sees_far_samples)
{
    double x[] = {0, 16, 48, 112}, y[] = {0, 48, 16, 112}, *const both[] = {x, y};
    for (int minibatch = 0; minibatch < 2; minibatch++) {
        size_t passes;
        const similarity_request q = {.how = {.kernel = SMOE_KERNEL_RBF, .sigma = 1, .estimator = SMOE_HSIC_DEBIASED},
                                      .minibatch = minibatch == 1,
                                      .batch = 4,
                                      .memory = 1 << 20};
        double *got = engine_similarities(q, 2, 4, (const size_t[]){1, 1}, both, &passes);
        ck_assert_msg(near(got[1], -0.5, 8), "CKA is %.17g, by hand -1/2", got[1]);
        free(got);
    }
}
END_TEST

/* Unbiasedness, with a band of five standard errors of the mean (exceeded by chance once in 1.7 million): features
 * uniform in (-1,1), of variance 1/3.  Independent: HSIC is 0.  y = x, linear: HSIC = |Cov|_F^2 = p/9.  The biased form
 * misses both. */
/* evidence properties: K.6 K.8 */
START_TEST(unbiased_by_simulation)
{
    enum { N = 6, P = 2, Q = 3 };
    const int draws = draws_of(20000);
    for (int dependent = 0; dependent < 2; dependent++)
        for (int e = 0; e < 3; e++) {
            const smoe_similarity how = with_estimator(linear_biased, (smoe_estimator)e, SMOE_ROUTE_GRAM);
            double x[N * P], y[N * Q], sum = 0, square = 0;
            uint64_t seed = 2024;
            for (int d = 0; d < draws; d++) {
                slopes_fill(&seed, 1.0, N * P, x);
                slopes_fill(&seed, 1.0, N * Q, y);
                const double value = dependent ? hsic_of(how, N, P, x, P, x) : hsic_of(how, N, P, x, Q, y);
                sum += value;
                square += value * value;
            }
            const double mean = sum / draws, error = sqrt((square / draws - mean * mean) / draws);
            const double off = fabs(mean - (dependent ? P / 9.0 : 0));
            if (e == SMOE_HSIC_BIASED)
                ck_assert_msg(off > 5 * error, "K.6: the biased form passes for unbiased: %g off, error %g", off,
                              error);
            else
                ck_assert_msg(off <= 5 * error, "K.8: the mean of estimator %d is %g off, its error %g", e, off, error);
        }
}
END_TEST

/* The expectations of "Properties shown": E|Y_c'X_c|^2 = (n-1) p q s^2 s^2 holds for any independent elements of variance
 * s^2 (here 1/3), within five standard errors. */
/* evidence properties: K.6 K.11 */
START_TEST(expectation_of_the_biased_form)
{
    enum { N = 7, P = 3, Q = 2 };
    const int draws = draws_of(20000);
    smoe_similarity how = with_estimator(linear_biased, SMOE_HSIC_BIASED, SMOE_ROUTE_GRAM);
    how.divide = SMOE_DIVIDE_NONE;
    double x[N * P], y[N * Q], sum = 0, square = 0;
    uint64_t seed = 77;
    for (int d = 0; d < draws; d++) {
        slopes_fill(&seed, 1.0, N * P, x);
        slopes_fill(&seed, 1.0, N * Q, y);
        const double value = hsic_of(how, N, P, x, Q, y);
        sum += value;
        square += value * value;
    }
    const double mean = sum / draws, error = sqrt((square / draws - mean * mean) / draws);
    ck_assert_msg(fabs(mean - (N - 1) * P * Q / 9.0) <= 5 * error, "K.6: mean %g, expected %g", mean,
                  (N - 1) * P * Q / 9.0);
}
END_TEST

/* Narrow features: the RBF kernel is 1 in all digits at a spread of 1e-8, and CKA is the linear one up to D/sigma^2 of
 * 1e-16.  Taking exp before centring would leave nothing. */
/* evidence properties: K.4 */
START_TEST(narrow_features_tend_to_linear)
{
    double x[PN * PP], y[PN * PQ];
    related(19, PN, PP, x, PQ, y);
    for (size_t k = 0; k < PN * PP; k++) x[k] *= 1e-8;
    for (size_t k = 0; k < PN * PQ; k++) y[k] *= 1e-8;
    for (int e = 0; e < 3; e++) {
        const double rbf = cka_of(with_estimator(kernel_of(1), (smoe_estimator)e, SMOE_ROUTE_GRAM), PN, PP, x, PQ, y);
        const double linear =
            cka_of(with_estimator(kernel_of(0), (smoe_estimator)e, SMOE_ROUTE_GRAM), PN, PP, x, PQ, y);
        ck_assert_msg(fabs(rbf - linear) <= 1e-12, "K.4, estimator %d: RBF %.17g, linear %.17g", e, rbf, linear);
    }
}
END_TEST

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median found by counting is that of a sorted list, also among many equals, subnormals and huge numbers. */
/* evidence properties: K.3 */
START_TEST(medians_are_those_of_a_sorted_list)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        const size_t n = 2 + seed % 9;
        double D[100], sorted[100], variance, dD[100];
        uint64_t state = seed;
        slopes_fill(&state, 1.0, n * n, D);
        for (size_t k = 0; k < n * n; k++) {
            D[k] = seed % 3 == 0 ? 1 + floor(4 * fabs(D[k])) : ldexp(fabs(D[k]), seed % 3 == 1 ? 1000 : -1000);
            if (k / n == k % n) D[k] = 0;
        }
        for (int i = 0; i < 8; i++) {
            const smoe_similarity how = rule(i, 1);
            size_t values = 0;
            for (size_t k = 0; k < n * n; k++)
                if (how.diagonal == SMOE_DIAGONAL_WITH || k / n != k % n) sorted[values++] = D[k];
            qsort(sorted, values, sizeof *sorted, by_value);
            const double a = sorted[(values - 1) / 2], b = how.middle == SMOE_MIDDLE_LOWER ? a : sorted[values / 2];
            if (b == 0) continue;
            OK(smoe_bandwidth_median(&how, n, D, &variance));
            const double root = (sqrt(a) + sqrt(b)) / 2;
            const double want = how.median == SMOE_MEDIAN_SQUARE ? a / 2 + b / 2 : root * root;
            ck_assert_msg(variance == want, "K.3 rule %d: %a, sorted %a", i, variance, want);
            OK(smoe_bandwidth_median_vjp(&how, n, D, 1, dD));
            for (size_t k = 0; k < n * n; k++)
                ck_assert_msg(dD[k] == 0 || D[k] == a || D[k] == b,
                              "K.3 rule %d: gradient at a value that is no median", i);
        }
    }
}
END_TEST

/* A batch of all rows is the unbiased CKA, bit for bit; batches in another order give the same within rounding; a batch
 * of constants adds nothing. */
/* evidence properties: K.12 */
START_TEST(minibatches)
{
    for (int k = 0; k < KERNELS; k++) {
        const smoe_similarity how = with_estimator(kernel_of(k), SMOE_HSIC_UNBIASED, SMOE_ROUTE_GRAM);
        double x[PN * PP], y[PN * PQ], turned_x[PN * PP], turned_y[PN * PQ], one, two, three_, dx[PN * PP], dy[PN * PQ];
        double ex[PN * PP], ey[PN * PQ], *work = room(smoe_cka_minibatch_work(PN, PP, PQ));
        related(23, PN, PP, x, PQ, y);
        OK(smoe_cka_minibatch(&how, PN, PN, PP, x, PQ, y, work, &one));
        ck_assert_msg(one == cka_of(how, PN, PP, x, PQ, y), "K.12, %s: one batch is not K.9", kernel_name[k]);
        OK(smoe_cka_minibatch_vjp(&how, PN, PN, PP, x, PQ, y, 1, work, dx, dy));
        cka_gradient(how, PN, PP, x, PQ, y, 1, ex, ey);
        ck_assert_msg(memcmp(dx, ex, sizeof dx) == 0 && memcmp(dy, ey, sizeof dy) == 0, "K.12: one batch, gradient");
        for (size_t i = 0; i < PN; i++) { /* the three batches of 8 turned around */
            const size_t j = (i + 8) % PN;
            memcpy(turned_x + i * PP, x + j * PP, PP * sizeof(double));
            memcpy(turned_y + i * PQ, y + j * PQ, PQ * sizeof(double));
        }
        OK(smoe_cka_minibatch(&how, PN, 8, PP, x, PQ, y, work, &two));
        OK(smoe_cka_minibatch(&how, PN, 8, PP, turned_x, PQ, turned_y, work, &three_));
        ck_assert_msg(near(two, three_, 16), "K.12, %s: %a, batches turned %a", kernel_name[k], two, three_);
        ck_assert_msg(fabs(two - one) > 1e-3, "K.12, %s: batches made no difference", kernel_name[k]);
        smoe_similarity other_fields = how;
        other_fields.estimator = SMOE_HSIC_BIASED; /* not looked at */
        other_fields.route = SMOE_ROUTE_FEATURES;
        OK(smoe_cka_minibatch(&other_fields, PN, 8, PP, x, PQ, y, work, &three_));
        ck_assert(two == three_);
        free(work);
    }
    const double a[] = {0, 0, 3, 3, 5, 5, 5, 5}, b[] = {0, 3, 0, 3, 1, 2, 3, 5};
    double work[8 * 16 + 16], value;
    OK(smoe_cka_minibatch(&linear_biased, 8, 4, 1, a, 1, b, work, &value));
    /* h = (-27/4, 27/2, 27/2 + h_bb) */
    double L[16], h;
    OK(smoe_gram_linear(4, 1, b + 4, L));
    OK(smoe_hsic_unbiased(4, L, L, &h));
    ck_assert_msg(near(value, -6.75 / sqrt(13.5 * (13.5 + h)), 8), "K.12: a constant batch gives %a", value);
}
END_TEST

/* Cosines: 1 for a positive multiple, -1 for a negative one, symmetric, invariant to the length of each row, also where
 * squares leave the format; <x, dx> = 0 row by row; the absolute one is the mean of magnitudes. */
/* evidence properties: K.13 */
START_TEST(cosines)
{
    enum { N = 6, D = 5 };
    double x[N * D], y[N * D], z[N * D], one, two, dx[N * D], dy[N * D];
    uint64_t seed = 29;
    slopes_fill(&seed, 1.0, N * D, x);
    slopes_fill(&seed, 1.0, N * D, y);
    OK(smoe_cosine(N, D, x, y, &one));
    OK(smoe_cosine(N, D, y, x, &two));
    ck_assert(one == two);
    for (int e = -500; e <= 500; e += 250) {
        for (size_t k = 0; k < N * D; k++) z[k] = ldexp(x[k], e + (int)(k / D));
        OK(smoe_cosine(N, D, z, y, &two));
        ck_assert_msg(one == two, "K.13: rows times 2^%d: %a, not %a", e, two, one);
    }
    for (size_t k = 0; k < N * D; k++) z[k] = 3 * x[k];
    OK(smoe_cosine(N, D, z, x, &two));
    ck_assert_msg(near(two, 1, 8), "K.13: of a multiple %a", two);
    for (size_t k = 0; k < N * D; k++) z[k] = -3 * x[k];
    OK(smoe_cosine(N, D, z, x, &two));
    ck_assert_msg(near(two, -1, 8), "K.13: of a negative multiple %a", two);
    OK(smoe_cosine_absolute(N, D, z, x, &two));
    ck_assert_msg(near(two, 1, 8), "K.13: its magnitude %a", two);
    double sum = 0;
    for (size_t i = 0; i < N; i++) {
        OK(smoe_cosine(1, D, x + i * D, y + i * D, &two));
        sum += fabs(two);
    }
    OK(smoe_cosine_absolute(N, D, x, y, &two));
    ck_assert(two == sum / N);
    for (int absolute = 0; absolute < 2; absolute++) {
        OK(absolute ? smoe_cosine_absolute_vjp(N, D, x, y, 1, dx, dy) : smoe_cosine_vjp(N, D, x, y, 1, dx, dy));
        for (size_t i = 0; i < N; i++) {
            ck_assert(fabs(smoe_dot(D, x + i * D, dx + i * D)) <= 0x1p-50);
            ck_assert(fabs(smoe_dot(D, y + i * D, dy + i * D)) <= 0x1p-50);
        }
    }
}
END_TEST

/* The kernel as `how` says is its parts, bit for bit; centred, it is the centring of K within rounding. */
/* evidence properties: K.1 K.4 K.5 */
START_TEST(kernels_are_their_parts)
{
    double x[PN * PP], K[PN * PN], C[PN * PN], D[PN * PN], want[PN * PN], variance, expected = 0;
    double *work = room(smoe_gram_work(PN, PP));
    uint64_t seed = 31;
    slopes_fill(&seed, 1.0, PN * PP, x);
    for (int k = 0; k < KERNELS; k++) {
        const smoe_similarity how = kernel_of(k);
        OK(smoe_squared_distances(PN, PP, x, D));
        if (k == 0)
            OK(smoe_gram_linear(PN, PP, x, want));
        else {
            OK(k == 1 ? smoe_bandwidth_absolute(1.25, &expected) : smoe_bandwidth_median(&how, PN, D, &expected));
            OK(smoe_gram_rbf(PN, D, expected, want));
        }
        OK(smoe_gram(&how, PN, PP, x, work, K, &variance));
        ck_assert_msg(variance == expected && memcmp(K, want, sizeof K) == 0, "%s: not its parts", kernel_name[k]);
        OK(smoe_gram_centred(&how, PN, PP, x, work, C, &variance));
        ck_assert(variance == expected);
        OK(smoe_centre(PN, K, want));
        for (size_t i = 0; i < PN * PN; i++)
            ck_assert_msg(fabs(C[i] - want[i]) <= 0x1p-46, "K.5, %s: centred %a, not %a", kernel_name[k], C[i],
                          want[i]);
    }
    free(work);
}
END_TEST

/* --- errors ------------------------------------------------------------------------------------------------------- */

#define REFUSED(status, call, ...)                                                                                     \
    do {                                                                                                               \
        ck_assert_int_eq(call, status);                                                                                \
        double *const written[] = {__VA_ARGS__};                                                                       \
        for (size_t refused_k = 0; refused_k < sizeof written / sizeof *written; refused_k++)                          \
            ck_assert_msg(untouched(1, written[refused_k]), "%s wrote something", #call);                              \
    } while (0)

START_TEST(parts_refuse)
{
    const double bad[2] = {NAN, INFINITY};
    double x[16] = {1, 2, 3, 4, 5, 6, 7, 9}, m[16], out[16], other_out[16], work[64], a, b, c;
    const double G[16] = {0};
    poison_all(16, out);
    poison_all(16, other_out);
    a = b = c = poison;
    REFUSED(SMOE_EINVAL, smoe_gram_linear(0, 2, x, out), out);
    REFUSED(SMOE_EINVAL, smoe_gram_linear(2, 0, x, out), out);
    REFUSED(SMOE_EINVAL, smoe_gram_linear_vjp(0, 2, x, G, out), out);
    REFUSED(SMOE_EINVAL, smoe_gram_linear_vjp(2, 0, x, G, out), out);
    REFUSED(SMOE_EINVAL, smoe_squared_distances(0, 2, x, out), out);
    REFUSED(SMOE_EINVAL, smoe_squared_distances(2, 0, x, out), out);
    REFUSED(SMOE_EINVAL, smoe_squared_distances_vjp(0, 2, x, G, out), out);
    REFUSED(SMOE_EINVAL, smoe_squared_distances_vjp(2, 0, x, G, out), out);
    REFUSED(SMOE_EINVAL, smoe_squared_distances_naive(0, 2, x, out), out);
    REFUSED(SMOE_EINVAL, smoe_squared_distances_vjp_naive(2, 0, x, G, out), out);
    REFUSED(SMOE_EINVAL, smoe_gram_rbf(0, x, 1, out), out);
    REFUSED(SMOE_EINVAL, smoe_gram_rbf_less_one(0, x, 1, out), out);
    REFUSED(SMOE_EINVAL, smoe_gram_rbf_to_u_centre(0, x, 1, out), out);
    REFUSED(SMOE_EINVAL, smoe_gram_rbf_vjp(0, x, 1, G, out, &a), out, &a);
    REFUSED(SMOE_EINVAL, smoe_centre_features(0, 2, x, out), out);
    REFUSED(SMOE_EINVAL, smoe_centre_features(2, 0, x, out), out);
    REFUSED(SMOE_EINVAL, smoe_centre(0, x, out), out);
    REFUSED(SMOE_EINVAL, smoe_centre_definition(0, x, work, out), out);
    REFUSED(SMOE_EINVAL, smoe_hsic_biased(1, x, x, SMOE_DIVIDE_N, work, &a), &a);
    REFUSED(SMOE_EINVAL, smoe_hsic_biased(2, x, x, (smoe_hsic_divisor)3, work, &a), &a);
    REFUSED(SMOE_EINVAL, smoe_hsic_biased_vjp(1, x, x, SMOE_DIVIDE_N, 1, out, other_out), out, other_out);
    REFUSED(SMOE_EINVAL, smoe_hsic_biased_vjp(2, x, x, (smoe_hsic_divisor)3, 1, out, other_out), out, other_out);
    REFUSED(SMOE_EINVAL, smoe_u_centre(2, x, work, out), out);
    REFUSED(SMOE_EINVAL, smoe_hsic_unbiased(3, x, x, &a), &a);
    REFUSED(SMOE_EINVAL, smoe_hsic_debiased(3, x, x, work, &a), &a);
    REFUSED(SMOE_EINVAL, smoe_hsic_unbiased_vjp(3, x, x, 1, work, out, other_out), out, other_out);
    REFUSED(SMOE_EINVAL, smoe_cosine(0, 2, x, x, &a), &a);
    REFUSED(SMOE_EINVAL, smoe_cosine(2, 0, x, x, &a), &a);
    REFUSED(SMOE_EINVAL, smoe_cosine_absolute(0, 2, x, x, &a), &a);
    REFUSED(SMOE_EINVAL, smoe_cosine_vjp(2, 0, x, x, 1, out, other_out), out, other_out);
    REFUSED(SMOE_EINVAL, smoe_cosine_absolute_vjp(0, 2, x, x, 1, out, other_out), out, other_out);
    for (int i = 0; i < 2; i++) {
        memcpy(m, x, sizeof m);
        m[15] = bad[i]; /* the last element of a [4,4] */
        REFUSED(SMOE_EDOM, smoe_gram_linear(4, 4, m, out), out);
        REFUSED(SMOE_EDOM, smoe_gram_linear_vjp(4, 4, m, G, out), out);
        REFUSED(SMOE_EDOM, smoe_gram_linear_vjp(4, 4, x, m, out), out);
        REFUSED(SMOE_EDOM, smoe_squared_distances(4, 4, m, out), out);
        REFUSED(SMOE_EDOM, smoe_squared_distances_vjp(4, 4, m, G, out), out);
        REFUSED(SMOE_EDOM, smoe_squared_distances_vjp(4, 4, x, m, out), out);
        REFUSED(SMOE_EDOM, smoe_squared_distances_naive(4, 4, m, out), out);
        REFUSED(SMOE_EDOM, smoe_squared_distances_vjp_naive(4, 4, m, G, out), out);
        REFUSED(SMOE_EDOM, smoe_squared_distances_vjp_naive(4, 4, x, m, out), out);
        REFUSED(SMOE_EDOM, smoe_gram_rbf(4, m, 1, out), out);
        REFUSED(SMOE_EDOM, smoe_gram_rbf_less_one(4, m, 1, out), out);
        REFUSED(SMOE_EDOM, smoe_gram_rbf_to_u_centre(4, m, 1, out), out);
        REFUSED(SMOE_EDOM, smoe_gram_rbf_vjp(4, m, 1, G, out, &a), out, &a);
        REFUSED(SMOE_EDOM, smoe_gram_rbf_vjp(4, x, 1, m, out, &a), out, &a);
        REFUSED(SMOE_EDOM, smoe_gram_rbf(4, x, bad[i], out), out);
        REFUSED(SMOE_EDOM, smoe_centre_features(4, 4, m, out), out);
        REFUSED(SMOE_EDOM, smoe_centre(4, m, out), out);
        REFUSED(SMOE_EDOM, smoe_centre_definition(4, m, work, out), out);
        REFUSED(SMOE_EDOM, smoe_hsic_biased(4, m, x, SMOE_DIVIDE_N, work, &a), &a);
        REFUSED(SMOE_EDOM, smoe_hsic_biased(4, x, m, SMOE_DIVIDE_N, work, &a), &a);
        REFUSED(SMOE_EDOM, smoe_hsic_biased_vjp(4, m, x, SMOE_DIVIDE_N, 1, out, other_out), out, other_out);
        REFUSED(SMOE_EDOM, smoe_hsic_biased_vjp(4, x, m, SMOE_DIVIDE_N, 1, out, other_out), out, other_out);
        REFUSED(SMOE_EDOM, smoe_hsic_biased_vjp(4, x, x, SMOE_DIVIDE_N, bad[i], out, other_out), out, other_out);
        REFUSED(SMOE_EDOM, smoe_u_centre(4, m, work, out), out);
        REFUSED(SMOE_EDOM, smoe_hsic_unbiased(4, m, x, &a), &a);
        REFUSED(SMOE_EDOM, smoe_hsic_unbiased(4, x, m, &a), &a);
        REFUSED(SMOE_EDOM, smoe_hsic_debiased(4, m, x, work, &a), &a);
        REFUSED(SMOE_EDOM, smoe_hsic_debiased(4, x, m, work, &a), &a);
        REFUSED(SMOE_EDOM, smoe_hsic_unbiased_vjp(4, m, x, 1, work, out, other_out), out, other_out);
        REFUSED(SMOE_EDOM, smoe_hsic_unbiased_vjp(4, x, m, 1, work, out, other_out), out, other_out);
        REFUSED(SMOE_EDOM, smoe_hsic_unbiased_vjp(4, x, x, bad[i], work, out, other_out), out, other_out);
        REFUSED(SMOE_EDOM, smoe_cka_ratio(bad[i], 1, 1, &a), &a);
        REFUSED(SMOE_EDOM, smoe_cka_ratio(1, bad[i], 1, &a), &a);
        REFUSED(SMOE_EDOM, smoe_cka_ratio(1, 1, bad[i], &a), &a);
        REFUSED(SMOE_EDOM, smoe_cka_ratio_vjp(bad[i], 1, 1, 1, &a, &b, &c), &a, &b, &c);
        REFUSED(SMOE_EDOM, smoe_cka_ratio_vjp(1, 1, 1, bad[i], &a, &b, &c), &a, &b, &c);
        REFUSED(SMOE_EDOM, smoe_cosine(4, 4, m, x, &a), &a);
        REFUSED(SMOE_EDOM, smoe_cosine(4, 4, x, m, &a), &a);
        REFUSED(SMOE_EDOM, smoe_cosine_absolute(4, 4, x, m, &a), &a);
        REFUSED(SMOE_EDOM, smoe_cosine_vjp(4, 4, m, x, 1, out, other_out), out, other_out);
        REFUSED(SMOE_EDOM, smoe_cosine_vjp(4, 4, x, x, bad[i], out, other_out), out, other_out);
        REFUSED(SMOE_EDOM, smoe_cosine_absolute_vjp(4, 4, x, m, 1, out, other_out), out, other_out);
        REFUSED(SMOE_EDOM, smoe_cosine_absolute_vjp(4, 4, x, x, bad[i], out, other_out), out, other_out);
        REFUSED(SMOE_EDOM, smoe_bandwidth_absolute(bad[i], &a), &a);
    }
    REFUSED(SMOE_EDOM, smoe_bandwidth_absolute(0, &a), &a);
    REFUSED(SMOE_EDOM, smoe_bandwidth_absolute(-1, &a), &a);
    REFUSED(SMOE_EDOM, smoe_bandwidth_absolute(0x1p-600, &a), &a);
    REFUSED(SMOE_EOVRFLW, smoe_bandwidth_absolute(0x1p600, &a), &a);
    REFUSED(SMOE_EDOM, smoe_gram_rbf(2, x, 0, out), out);
    REFUSED(SMOE_EDOM, smoe_gram_rbf(2, x, -1, out), out);
    REFUSED(SMOE_EDOM, smoe_gram_rbf_vjp(2, x, 0, G, out, &a), out, &a);
    m[1] = -0x1p-1074;
    REFUSED(SMOE_EDOM, smoe_gram_rbf(1, m + 1, 1, out), out);
    REFUSED(SMOE_EDOM, smoe_cka_ratio(1, 0, 1, &a), &a);
    REFUSED(SMOE_EINVAL, smoe_cka_of_batches(0, 1, 1, 1, &a), &a);
    REFUSED(SMOE_EDOM, smoe_cka_of_batches(2, 1, 0, 1, &a), &a);
    REFUSED(SMOE_EDOM, smoe_cka_ratio(1, 1, -1, &a), &a);
    REFUSED(SMOE_EDOM, smoe_cka_ratio_vjp(1, 1, 0, 1, &a, &b, &c), &a, &b, &c);
}
END_TEST

START_TEST(bandwidths_refuse)
{
    double D[9] = {0, 1, 4, 1, 0, 9, 4, 9, 0}, a = poison, out[9];
    const double one[] = {0};
    poison_all(9, out);
    for (int i = 0; i < 8; i++) {
        smoe_similarity how = rule(i, 1);
        REFUSED(SMOE_EINVAL, smoe_bandwidth_median(&how, 0, D, &a), &a);
        REFUSED(i & 4 ? SMOE_EINVAL : SMOE_EDOM, smoe_bandwidth_median(&how, 1, one, &a), &a);
        how.diagonal = (smoe_diagonal)2;
        REFUSED(SMOE_EINVAL, smoe_bandwidth_median(&how, 3, D, &a), &a);
        how = rule(i, 1);
        how.middle = (smoe_middle)2;
        REFUSED(SMOE_EINVAL, smoe_bandwidth_median(&how, 3, D, &a), &a);
        how = rule(i, 1);
        how.median = (smoe_median_of)2;
        REFUSED(SMOE_EINVAL, smoe_bandwidth_median(&how, 3, D, &a), &a);
        REFUSED(SMOE_EINVAL, smoe_bandwidth_median_vjp(&how, 3, D, 1, out), out);
        static const double sigmas[] = {0, -1, NAN, INFINITY};
        for (int s = 0; s < 4; s++) {
            how = rule(i, sigmas[s]);
            REFUSED(SMOE_EDOM, smoe_bandwidth_median(&how, 3, D, &a), &a);
            REFUSED(SMOE_EDOM, smoe_bandwidth_median_vjp(&how, 3, D, 1, out), out);
        }
        how = rule(i, 1);
        REFUSED(SMOE_EDOM, smoe_bandwidth_median_vjp(&how, 3, D, NAN, out), out);
        static const double distances[] = {-1, NAN, INFINITY};
        for (int s = 0; s < 3; s++) {
            D[5] = distances[s];
            REFUSED(SMOE_EDOM, smoe_bandwidth_median(&how, 3, D, &a), &a);
            REFUSED(SMOE_EDOM, smoe_bandwidth_median_vjp(&how, 3, D, 1, out), out);
            D[5] = 9;
            D[4] = distances[s]; /* on the diagonal: without it nobody looks */
            if (i & 4)
                ck_assert_int_eq(smoe_bandwidth_median(&how, 3, D, &a), SMOE_OK);
            else
                REFUSED(SMOE_EDOM, smoe_bandwidth_median(&how, 3, D, &a), &a);
            a = poison;
            D[4] = 0;
        }
        how = rule(i, 0x1p600);
        REFUSED(SMOE_EOVRFLW, smoe_bandwidth_median(&how, 3, D, &a), &a);
        how = rule(i, 0x1p-600);
        REFUSED(SMOE_EDOM, smoe_bandwidth_median(&how, 3, D, &a), &a);
        const double none[9] = {0};
        how = rule(i, 1);
        REFUSED(SMOE_EDOM, smoe_bandwidth_median(&how, 3, none, &a), &a);
    }
}
END_TEST

static void similarity_refuses(smoe_status status, smoe_similarity how, size_t n, size_t p, const double *x, size_t q,
                               const double *y)
{
    double *work = room(8 * 64 + 8 * 16 + 4096 * 4), a = poison, dx[64], dy[64];
    poison_all(64, dx);
    poison_all(64, dy);
    REFUSED(status, smoe_hsic(&how, n, p, x, q, y, work, &a), &a);
    REFUSED(status, smoe_hsic_vjp(&how, n, p, x, q, y, 1, work, dx, dy), dx, dy);
    REFUSED(status, smoe_cka(&how, n, p, x, q, y, work, &a), &a);
    REFUSED(status, smoe_cka_vjp(&how, n, p, x, q, y, 1, work, dx, dy), dx, dy);
    free(work);
}

START_TEST(similarities_refuse)
{
    double x[16], y[16], *work = room(8 * 64 + 8 * 16 + 4096 * 4), a = poison, dx[16], dy[16], K[64];
    related(37, 8, 2, x, 2, y);
    poison_all(16, dx);
    poison_all(16, dy);
    poison_all(64, K);
    for (int i = 0; i < KINDS; i++) {
        const char *name;
        smoe_similarity how = kind_of(i, &name);
        const size_t least = how.estimator == SMOE_HSIC_BIASED ? 2 : 4;
        for (size_t n = 0; n < least; n++) similarity_refuses(SMOE_EINVAL, how, n, 2, x, 2, y);
        similarity_refuses(SMOE_EINVAL, how, 8, 0, x, 2, y);
        similarity_refuses(SMOE_EINVAL, how, 8, 2, x, 0, y);
        how.kernel = (smoe_kernel)2;
        similarity_refuses(SMOE_EINVAL, how, 8, 2, x, 2, y);
        how = kind_of(i, &name);
        how.estimator = (smoe_estimator)3;
        similarity_refuses(SMOE_EINVAL, how, 8, 2, x, 2, y);
        how = kind_of(i, &name);
        how.route = (smoe_similarity_route)2;
        similarity_refuses(SMOE_EINVAL, how, 8, 2, x, 2, y);
        how = kind_of(i, &name);
        const double kept = x[15];
        for (int b = 0; b < 2; b++) {
            x[15] = b == 0 ? NAN : INFINITY;
            similarity_refuses(SMOE_EDOM, how, 8, 2, x, 2, y);
            similarity_refuses(SMOE_EDOM, how, 8, 2, y, 2, x);
            x[15] = kept;
            REFUSED(SMOE_EDOM, smoe_hsic_vjp(&how, 8, 2, x, 2, y, b == 0 ? NAN : INFINITY, work, dx, dy), dx, dy);
            REFUSED(SMOE_EDOM, smoe_cka_vjp(&how, 8, 2, x, 2, y, b == 0 ? NAN : INFINITY, work, dx, dy), dx, dy);
        }
        if (how.kernel == SMOE_KERNEL_LINEAR) continue;
        how.route = SMOE_ROUTE_FEATURES;
        similarity_refuses(SMOE_EINVAL, how, 8, 2, x, 2, y);
        static const double sigmas[] = {0, -1, NAN, INFINITY};
        for (int s = 0; s < 4; s++) {
            how = kind_of(i, &name);
            how.sigma = sigmas[s];
            similarity_refuses(SMOE_EDOM, how, 8, 2, x, 2, y);
        }
        how = kind_of(i, &name);
        how.bandwidth = (smoe_bandwidth)2;
        similarity_refuses(SMOE_EINVAL, how, 8, 2, x, 2, y);
        if (kind_of(i, &name).bandwidth == SMOE_BANDWIDTH_ABSOLUTE) continue;
        how = kind_of(i, &name);
        how.diagonal = (smoe_diagonal)2;
        similarity_refuses(SMOE_EINVAL, how, 8, 2, x, 2, y);
        how = kind_of(i, &name);
        how.middle = (smoe_middle)2;
        similarity_refuses(SMOE_EINVAL, how, 8, 2, x, 2, y);
        how = kind_of(i, &name);
        how.median = (smoe_median_of)2;
        similarity_refuses(SMOE_EINVAL, how, 8, 2, x, 2, y);
    }
    smoe_similarity how = linear_biased;
    how.divide = (smoe_hsic_divisor)3;
    REFUSED(SMOE_EINVAL, smoe_hsic(&how, 8, 2, x, 2, y, work, &a), &a);
    for (int k = 0; k < KERNELS; k++) {
        how = kernel_of(k);
        REFUSED(SMOE_EINVAL, smoe_gram(&how, 0, 2, x, work, K, &a), K, &a);
        REFUSED(SMOE_EINVAL, smoe_gram_vjp(&how, 8, 0, x, work, work, dx), dx);
        REFUSED(SMOE_EINVAL, smoe_gram_centred(&how, 0, 2, x, work, K, &a), K, &a);
        REFUSED(SMOE_EINVAL, smoe_gram_centred_vjp(&how, 8, 0, x, work, work, dx), dx);
        double G[64] = {0};
        G[63] = NAN;
        REFUSED(SMOE_EDOM, smoe_gram_vjp(&how, 8, 2, x, G, work, dx), dx);
        REFUSED(SMOE_EDOM, smoe_gram_centred_vjp(&how, 8, 2, x, G, work, dx), dx);
        const double none[16] = {0};
        if (how.bandwidth == SMOE_BANDWIDTH_ABSOLUTE) continue;
        REFUSED(SMOE_EDOM, smoe_gram(&how, 8, 2, none, work, K, &a), K, &a);
        G[63] = 0;
        REFUSED(SMOE_EDOM, smoe_gram_vjp(&how, 8, 2, none, G, work, dx), dx);
        REFUSED(SMOE_EDOM, smoe_gram_centred(&how, 8, 2, none, work, K, &a), K, &a);
        REFUSED(SMOE_EDOM, smoe_gram_centred_vjp(&how, 8, 2, none, G, work, dx), dx);
    }
    free(work);
}
END_TEST

START_TEST(minibatches_and_moments_refuse)
{
    double x[16], y[16], work[8 * 64 + 64], a = poison, dx[16], dy[16];
    related(41, 8, 2, x, 2, y);
    poison_all(16, dx);
    poison_all(16, dy);
    static const size_t sizes[][4] = {{8, 3, 2, 2}, {8, 5, 2, 2}, {0, 4, 2, 2}, {8, 0, 2, 2},
                                      {8, 4, 0, 2}, {8, 4, 2, 0}, {8, 16, 2, 2}};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const size_t *s = sizes[k];
        REFUSED(SMOE_EINVAL, smoe_cka_minibatch(&linear_biased, s[0], s[1], s[2], x, s[3], y, work, &a), &a);
        REFUSED(SMOE_EINVAL, smoe_cka_minibatch_vjp(&linear_biased, s[0], s[1], s[2], x, s[3], y, 1, work, dx, dy), dx,
                dy);
    }
    REFUSED(SMOE_EDOM, smoe_cka_minibatch_vjp(&linear_biased, 8, 4, 2, x, 2, y, NAN, work, dx, dy), dx, dy);
    const double none[16] = {0};
    REFUSED(SMOE_EDOM, smoe_cka_minibatch(&linear_biased, 8, 4, 2, none, 2, y, work, &a), &a);
    REFUSED(SMOE_EDOM, smoe_cka_minibatch_vjp(&linear_biased, 8, 4, 2, x, 2, none, 1, work, dx, dy), dx, dy);
    x[15] = INFINITY;
    REFUSED(SMOE_EDOM, smoe_cka_minibatch(&linear_biased, 8, 4, 2, x, 2, y, work, &a), &a);
    moments_room r, before;
    memset(&r, 0, sizeof r); /* all of it is compared, the room that is left over too */
    start_moments(&r, 2, 2);
    OK(smoe_moments_add(&r.m, 7, x, y, NULL, NULL, NULL));
    memcpy(&before, &r, sizeof r);
    const double shift[] = {1, NAN};
    ck_assert_int_eq(smoe_moments_add(&r.m, 8, x, y, NULL, NULL, NULL), SMOE_EDOM);
    ck_assert_int_eq(smoe_moments_add(&r.m, 7, x, y, shift, none, work), SMOE_EDOM);
    ck_assert_int_eq(smoe_moments_add(&r.m, 7, x, y, none, shift, work), SMOE_EDOM);
    ck_assert_int_eq(smoe_moments_add(&r.m, 7, x, y, none, NULL, work), SMOE_EINVAL);
    ck_assert_msg(memcmp(&before, &r, sizeof r) == 0, "K.10: what is refused changes nothing");
    REFUSED(SMOE_EINVAL, smoe_hsic_moments(&r.m, SMOE_HSIC_BIASED, (smoe_hsic_divisor)3, work, &a), &a);
    REFUSED(SMOE_EINVAL, smoe_hsic_moments(&r.m, (smoe_estimator)3, SMOE_DIVIDE_N, work, &a), &a);
    REFUSED(SMOE_EDOM, smoe_hsic_moments_vjp(&r.m, SMOE_HSIC_BIASED, SMOE_DIVIDE_N, NAN, 7, x, y, work, dx), dx);
    REFUSED(SMOE_EDOM, smoe_hsic_moments_vjp(&r.m, SMOE_HSIC_BIASED, SMOE_DIVIDE_N, 1, 8, x, y, work, dx), dx);
    REFUSED(SMOE_EINVAL, smoe_hsic_moments_vjp(&r.m, (smoe_estimator)3, SMOE_DIVIDE_N, 1, 7, x, y, work, dx), dx);
    r.m.n = 3;
    REFUSED(SMOE_EINVAL, smoe_hsic_moments(&r.m, SMOE_HSIC_UNBIASED, SMOE_DIVIDE_N, work, &a), &a);
    r.m.n = 1;
    REFUSED(SMOE_EINVAL, smoe_hsic_moments(&r.m, SMOE_HSIC_BIASED, SMOE_DIVIDE_N, work, &a), &a);
    r.m.n = 7;
    for (int i = 0; i < 2; i++) {
        *(i ? &r.m.p : &r.m.q) = 0;
        ck_assert_int_eq(smoe_moments_add(&r.m, 1, x, y, NULL, NULL, NULL), SMOE_EINVAL);
        if (!i) r.m.q = 2;
    }
    REFUSED(SMOE_EINVAL, smoe_hsic_moments(&r.m, SMOE_HSIC_BIASED, SMOE_DIVIDE_N, work, &a), &a);
}
END_TEST

/* Finite inputs whose results are not. */
START_TEST(overflow_is_said)
{
    const double x[] = {0x1p600, 1, -0x1p600, 2, 1, 1, 3, 5}, wide[] = {DBL_MAX, -DBL_MAX, 1, 2}, one[] = {1, 2, 4, 8};
    double out[64], other_out[64], work[4096 * 4], a, b, c;
    OK(smoe_gram_linear(4, 1, one, out));
    ck_assert_int_eq(smoe_gram_linear(4, 2, x, out), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_squared_distances(4, 2, x, out), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_centre_features(4, 1, wide, out), SMOE_EOVRFLW);
    const double big[] = {DBL_MAX, DBL_MAX, DBL_MAX, DBL_MAX, DBL_MAX, DBL_MAX, DBL_MAX, DBL_MAX, DBL_MAX};
    ck_assert_int_eq(smoe_centre(3, big, out), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_u_centre(3, big, work, out), SMOE_EOVRFLW);
    const double vertices[9] = {DBL_MAX, -DBL_MAX, -DBL_MAX};
    ck_assert_int_eq(smoe_centre_definition(3, vertices, work, out), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_gram_linear_vjp(2, 1, big, big, out), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_squared_distances_vjp(2, 1, wide, big, out), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_gram_rbf_vjp(1, big, DBL_MAX / 4, big, out, &a), SMOE_EOVRFLW);
    const double zero[] = {0};
    ck_assert_int_eq(smoe_gram_rbf_vjp(1, zero, 0x1p-1070, one, out, &a), SMOE_EOVRFLW);
    const double step[] = {0, 0x1p520, 0x1p520, 0};
    ck_assert_int_eq(smoe_hsic_biased(2, step, step, SMOE_DIVIDE_NONE, work, &a), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_hsic_biased_vjp(2, step, step, SMOE_DIVIDE_NONE, 0x1p600, out, other_out), SMOE_EOVRFLW);
    double far_[16] = {0};
    far_[1] = far_[4] = 0x1p520;
    ck_assert_int_eq(smoe_hsic_unbiased(4, far_, far_, &a), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_hsic_debiased(4, far_, far_, work, &a), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_hsic_unbiased_vjp(4, far_, far_, 0x1p600, work, out, other_out), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_cka_ratio(DBL_MAX, 0x1p-10, 0x1p-10, &a), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_cka_ratio_vjp(1, 0x1p-1000, 1, 0x1p600, &a, &b, &c), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_cka_ratio_vjp(1, 0x1p-1000, 0x1p1000, 0x1p100, &a, &b, &c), SMOE_EOVRFLW);
    ck_assert_msg(a == 0x1p100 && b == -INFINITY && c == -0x1p-901, "K.9: only dh_xx was to overflow: %g %g %g", a, b,
                  c);
    ck_assert_int_eq(smoe_cka_ratio_vjp(1, 0x1p1000, 0x1p-1000, 0x1p100, &a, &b, &c), SMOE_EOVRFLW);
    ck_assert_msg(a == 0x1p100 && b == -0x1p-901 && c == -INFINITY, "K.9: only dh_yy was to overflow: %g %g %g", a, b,
                  c);
    smoe_similarity how = rule(1, 0x1p500);
    const double D[] = {0, 1, 1, 0};
    OK(smoe_bandwidth_median(&how, 2, D, &a));
    ck_assert_int_eq(smoe_bandwidth_median_vjp(&how, 2, D, 0x1p600, out), SMOE_EOVRFLW);
    for (int i = 0; i < KINDS; i++) {
        const char *name;
        how = kind_of(i, &name);
        ck_assert_int_eq(smoe_cka(&how, 4, 2, x, 1, one, work, &a), SMOE_EOVRFLW);
        ck_assert_int_eq(smoe_cka(&how, 4, 1, wide, 1, one, work, &a), SMOE_EOVRFLW);
        ck_assert_int_eq(smoe_cka(&how, 4, 1, one, 1, wide, work, &a), SMOE_EOVRFLW);
        ck_assert_int_eq(smoe_hsic(&how, 4, 2, x, 1, one, work, &a), SMOE_EOVRFLW);
        ck_assert_int_eq(smoe_cka_vjp(&how, 4, 2, x, 1, one, 1, work, out, other_out), SMOE_EOVRFLW);
        ck_assert_int_eq(smoe_hsic_vjp(&how, 4, 1, one, 2, x, 1, work, out, other_out), SMOE_EOVRFLW);
    }
    ck_assert_int_eq(smoe_cka_minibatch(&linear_biased, 4, 4, 2, x, 1, one, work, &a), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_cka_minibatch_vjp(&linear_biased, 4, 4, 2, x, 1, one, 1, work, out, other_out), SMOE_EOVRFLW);
    how = kernel_of(0);
    ck_assert_int_eq(smoe_gram(&how, 4, 2, x, work, out, &a), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_gram_centred(&how, 4, 1, wide, work, out, &a), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_gram_centred_vjp(&how, 4, 1, wide, far_, work, out), SMOE_EOVRFLW);
    moments_room r;
    start_moments(&r, 2, 1);
    ck_assert_int_eq(smoe_moments_add(&r.m, 4, x, one, NULL, NULL, NULL), SMOE_EOVRFLW);
    const double none[2] = {0}, half[2] = {0x1p511, 0x1p511}; /* of squares that are 2^1023 together */
    start_moments(&r, 2, 2);
    OK(smoe_moments_add(&r.m, 1, half, none, NULL, NULL, NULL));
    ck_assert_int_eq(smoe_moments_add(&r.m, 1, half, none, NULL, NULL, NULL), SMOE_EOVRFLW); /* xx */
    start_moments(&r, 2, 2);
    OK(smoe_moments_add(&r.m, 1, none, half, NULL, NULL, NULL));
    ck_assert_int_eq(smoe_moments_add(&r.m, 1, none, half, NULL, NULL, NULL), SMOE_EOVRFLW); /* yy */
    start_moments(&r, 1, 1);
    const double large[] = {0x1p300, 0, 0x1p300, 0};
    ck_assert_int_eq(smoe_moments_add(&r.m, 1, large, large, NULL, NULL, NULL), SMOE_EOVRFLW); /* xxyy */
    start_moments(&r, 1, 1);
    OK(smoe_moments_add(&r.m, 4, one, one, NULL, NULL, NULL));
    r.m.c[0] = 0x1p600;
    ck_assert_int_eq(smoe_hsic_moments(&r.m, SMOE_HSIC_BIASED, SMOE_DIVIDE_N, work, &a), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_hsic_moments(&r.m, SMOE_HSIC_UNBIASED, SMOE_DIVIDE_N, work, &a), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_hsic_moments_vjp(&r.m, SMOE_HSIC_BIASED, SMOE_DIVIDE_N, 0x1p200, 4, large, large, work, out),
                     SMOE_EOVRFLW);
    const double edge[] = {DBL_MAX, DBL_MAX};
    ck_assert_int_eq(smoe_cosine(1, 2, edge, edge, &a), SMOE_EOVRFLW); /* the norm itself */
    ck_assert_int_eq(smoe_cosine_absolute(1, 2, edge, edge, &a), SMOE_EOVRFLW);
    double many[256],
        few[256]; /* one batch in 64 is fine, and the sum is not; the features of all are, not those of one side */
    for (size_t i = 0; i < 256; i++)
        many[i] = ldexp((const double[]){0, 1, 3, 7}[i % 4] * 1.25, 253), few[i] = (const double[]){1, -1, 2, 0}[i % 4];
    for (int i = 0; i < 3; i++) { /* xx, yy, xy and all */
        const double *u = i == 1 ? few : many, *v = i == 0 ? few : many;
        OK(smoe_cka_minibatch(&linear_biased, 4, 4, 1, u, 1, v, work, &a));
        ck_assert_int_eq(smoe_cka_minibatch(&linear_biased, 256, 4, 1, u, 1, v, work, &a), SMOE_EOVRFLW);
    }
    how = with_estimator(linear_biased, SMOE_HSIC_BIASED, SMOE_ROUTE_FEATURES);
    double wild[300] = {0x1p300, -0x1p300}, tame[300] = {1, -1}, *wide_work = room(smoe_cka_work(&how, 300, 1, 1));
    OK(smoe_hsic(&how, 300, 1, wild, 1, tame, wide_work, &a));
    ck_assert_int_eq(smoe_cka(&how, 300, 1, wild, 1, tame, wide_work, &a), SMOE_EOVRFLW); /* of x alone */
    ck_assert_int_eq(smoe_cka(&how, 300, 1, tame, 1, wild, wide_work, &a), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_hsic(&how, 300, 1, wild, 1, wild, wide_work, &a),
                     SMOE_EOVRFLW); /* in the first rows of 300 */
    free(wide_work);
    const double slight[] = {0x1p-1000, 0}, flat[] = {1, 1};
    ck_assert_int_eq(smoe_cosine_vjp(1, 2, slight, flat, 0x1p100, out, other_out), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_cosine_absolute_vjp(1, 2, flat, slight, 0x1p100, out, other_out), SMOE_EOVRFLW);
}
END_TEST

/* The functions of matrices: what they read (a, b) and write (c, d), and how much of it. */
enum {
    ALL_GRAM,
    ALL_GRAM_VJP,
    ALL_DISTANCES,
    ALL_DISTANCES_VJP,
    ALL_NAIVE,
    ALL_NAIVE_VJP,
    ALL_RBF,
    ALL_RBF_LESS_ONE,
    ALL_RBF_TO_U_CENTRE,
    ALL_RBF_VJP,
    ALL_FEATURES,
    ALL_CENTRE,
    ALL_DEFINITION,
    ALL_BIASED,
    ALL_BIASED_VJP,
    ALL_U_CENTRE,
    ALL_UNBIASED,
    ALL_DEBIASED,
    ALL_UNBIASED_VJP,
    ALL_COSINE,
    ALL_ABSOLUTE,
    ALL_COSINE_VJP,
    ALL_ABSOLUTE_VJP,
    ALL_PARTS
};

typedef struct {
    size_t a, b, c, d;
} sizes;

static sizes sizes_of(int part, size_t n, size_t p)
{
    const size_t np = n * p, nn = n * n;
    switch (part) {
    case ALL_GRAM:
    case ALL_DISTANCES:
    case ALL_NAIVE:
        return (sizes){np, 0, nn, 0};
    case ALL_GRAM_VJP:
    case ALL_DISTANCES_VJP:
    case ALL_NAIVE_VJP:
        return (sizes){np, nn, np, 0};
    case ALL_FEATURES:
        return (sizes){np, 0, np, 0};
    case ALL_RBF_VJP:
        return (sizes){nn, nn, nn, 1};
    case ALL_BIASED:
    case ALL_UNBIASED:
    case ALL_DEBIASED:
        return (sizes){nn, nn, 1, 0};
    case ALL_BIASED_VJP:
    case ALL_UNBIASED_VJP:
        return (sizes){nn, nn, nn, nn};
    case ALL_COSINE:
    case ALL_ABSOLUTE:
        return (sizes){np, np, 1, 0};
    case ALL_COSINE_VJP:
    case ALL_ABSOLUTE_VJP:
        return (sizes){np, np, np, np};
    default:
        return (sizes){nn, 0, nn, 0};
    }
}

static smoe_status call_part(int part, size_t n, size_t p, const double *a, const double *b, double *c, double *d)
{
    double *work = room(3 * n * n);
    smoe_status status = SMOE_OK;
    switch (part) {
    case ALL_GRAM:
        status = smoe_gram_linear(n, p, a, c);
        break;
    case ALL_GRAM_VJP:
        status = smoe_gram_linear_vjp(n, p, a, b, c);
        break;
    case ALL_DISTANCES:
        status = smoe_squared_distances(n, p, a, c);
        break;
    case ALL_DISTANCES_VJP:
        status = smoe_squared_distances_vjp(n, p, a, b, c);
        break;
    case ALL_NAIVE:
        status = smoe_squared_distances_naive(n, p, a, c);
        break;
    case ALL_NAIVE_VJP:
        status = smoe_squared_distances_vjp_naive(n, p, a, b, c);
        break;
    case ALL_RBF:
        status = smoe_gram_rbf(n, a, 2, c);
        break;
    case ALL_RBF_LESS_ONE:
        status = smoe_gram_rbf_less_one(n, a, 2, c);
        break;
    case ALL_RBF_TO_U_CENTRE:
        status = smoe_gram_rbf_to_u_centre(n, a, 2, c);
        break;
    case ALL_RBF_VJP:
        status = smoe_gram_rbf_vjp(n, a, 2, b, c, d);
        break;
    case ALL_FEATURES:
        status = smoe_centre_features(n, p, a, c);
        break;
    case ALL_CENTRE:
        status = smoe_centre(n, a, c);
        break;
    case ALL_DEFINITION:
        status = smoe_centre_definition(n, a, work, c);
        break;
    case ALL_BIASED:
        status = smoe_hsic_biased(n, a, b, SMOE_DIVIDE_N, work, c);
        break;
    case ALL_BIASED_VJP:
        status = smoe_hsic_biased_vjp(n, a, b, SMOE_DIVIDE_N, 1, c, d);
        break;
    case ALL_U_CENTRE:
        status = smoe_u_centre(n, a, work, c);
        break;
    case ALL_UNBIASED:
        status = smoe_hsic_unbiased(n, a, b, c);
        break;
    case ALL_DEBIASED:
        status = smoe_hsic_debiased(n, a, b, work, c);
        break;
    case ALL_UNBIASED_VJP:
        status = smoe_hsic_unbiased_vjp(n, a, b, 1, work, c, d);
        break;
    case ALL_COSINE:
        status = smoe_cosine(n, p, a, b, c);
        break;
    case ALL_ABSOLUTE:
        status = smoe_cosine_absolute(n, p, a, b, c);
        break;
    case ALL_COSINE_VJP:
        status = smoe_cosine_vjp(n, p, a, b, 1, c, d);
        break;
    case ALL_ABSOLUTE_VJP:
        status = smoe_cosine_absolute_vjp(n, p, a, b, 1, c, d);
        break;
    }
    free(work);
    return status;
}

/* Each element of an input is asked for, whether there are more samples than features or fewer; what is behind an input, NaN, is not,
 * and what is behind a result, infinite, is neither looked at nor written. */
START_TEST(inputs_are_asked_for_to_the_last)
{
    enum { BEHIND = 64, ROOM = 49 + BEHIND };
    const size_t n = _i < ALL_PARTS ? 4 : 7, p = 11 - n;
    const int part = _i % ALL_PARTS;
    const sizes s = sizes_of(part, n, p);
    double a[ROOM], b[ROOM], c[ROOM], d[ROOM];
    uint64_t seed = 61;
    for (size_t k = 0; k < ROOM; k++) {
        a[k] = k < s.a ? 2 + slopes_draw(&seed) : NAN;
        b[k] = k < s.b ? 2 + slopes_draw(&seed) : NAN;
        c[k] = d[k] = INFINITY;
    }
    ck_assert_msg(call_part(part, n, p, a, b, c, d) == SMOE_OK, "part %d, n=%zu: what is behind is looked at", part, n);
    for (size_t k = 0; k < ROOM; k++)
        ck_assert_msg((k < s.c) == isfinite(c[k]) && (k < s.d) == isfinite(d[k]), "part %d, n=%zu: [%zu] of a result",
                      part, n, k);
    poison_all(ROOM, c);
    poison_all(ROOM, d);
    for (size_t k = 0; k < s.a + s.b; k++) {
        double *const at = k < s.a ? a + k : b + k - s.a, kept = *at;
        *at = k % 2 == 0 ? NAN : INFINITY;
        ck_assert_msg(call_part(part, n, p, a, b, c, d) == SMOE_EDOM, "part %d, n=%zu: %zu is not seen", part, n, k);
        ck_assert_msg(untouched(ROOM, c) && untouched(ROOM, d), "part %d, n=%zu: written in spite of %zu", part, n, k);
        *at = kept;
    }
}
END_TEST

/* How many elements are not finite, and the first of them. */
static size_t infinite(size_t n, const double *x, size_t *first)
{
    size_t count = 0;
    for (size_t k = n; k-- > 0;)
        if (!isfinite(x[k])) count++, *first = k;
    return count;
}

#define OVERFLOWS_AT(call, out, size, count, at, what)                                                                 \
    do {                                                                                                               \
        size_t overflow_first = 0;                                                                                     \
        ck_assert_msg((call) == SMOE_EOVRFLW, "%s: an overflow in the last place is not seen", what);                  \
        const size_t overflow_many = infinite(size, out, &overflow_first);                                             \
        ck_assert_msg(overflow_many == (count) && overflow_first == (at), "%s: %zu overflow, first [%zu]", what,       \
                      overflow_many, overflow_first);                                                                  \
    } while (0)

/* One element of a result overflows, as far behind as there is one that does alone: the last, of a matrix of distances the last pair, of
 * centred features the last column. */
START_TEST(results_are_looked_at_to_the_last)
{
    const size_t n = _i == 0 ? 4 : 7, p = 11 - n, np = n * p, nn = n * n;
    double a[49] = {0}, b[49] = {0}, c[49], d[49], sums[14], v;
    a[np - 1] = b[nn - 1] = 0x1p600; /* x of the last sample, the last element of a cotangent */
    OVERFLOWS_AT(call_part(ALL_GRAM, n, p, a, b, c, d), c, nn, 1, nn - 1, "K.1");
    OVERFLOWS_AT(call_part(ALL_GRAM_VJP, n, p, a, b, c, d), c, np, 1, np - 1, "K.1'");
    a[np - 1] = 0x1p511; /* twice that overflows, squared */
    a[np - p - 1] = -0x1p511;
    OVERFLOWS_AT(call_part(ALL_NAIVE, n, p, a, b, c, d), c, nn, 2, nn - n - 1, "K.2");
    a[np - p - 1] = 0;
    b[nn - 1] = 0;
    b[nn - n] = b[nn - n + 1] = 0x1p511; /* the last sample has both others' pull */
    OVERFLOWS_AT(call_part(ALL_NAIVE_VJP, n, p, a, b, c, d), c, np, 1, np - 1, "K.2'");
    OVERFLOWS_AT(call_part(ALL_DISTANCES_VJP, n, p, a, b, c, d), c, np, 1, np - 1, "K.2'");
    a[np - 1] = 0;
    b[nn - n] = b[nn - n + 1] = 0;
    b[nn - 1] = 0x1p1000;
    OVERFLOWS_AT(smoe_gram_rbf_vjp(n, a, 0x1p-100, b, c, &v), c, nn, 1, nn - 1, "K.4'"); /* a is 0 */
    a[np - 1] = DBL_MAX;
    a[np - p - 1] = DBL_MAX;
    OVERFLOWS_AT(call_part(ALL_FEATURES, n, p, a, b, c, d), c, np, n, p - 1, "K.5");
    const double ranked[] = {0, 1, 5, 6, 0,
                             7, 2, 3, 0}; /* without the diagonal the lower median is 3, in the last row */
    const smoe_similarity lower = {.sigma = 0x1p500, .diagonal = SMOE_DIAGONAL_WITHOUT, .middle = SMOE_MIDDLE_LOWER};
    OVERFLOWS_AT(smoe_bandwidth_median_vjp(&lower, 3, ranked, 0x1p600, c), c, 9, 1, 7, "K.3'");
    memset(a, 0, sizeof a);
    for (int i = 0; i < 3; i++) { /* columns whose sums pass through -M, 0 and -M: M less its mean overflows */
        a[(n - 3 + (size_t)i) * n - 1] = i == 1 ? DBL_MAX : -DBL_MAX;
        a[(n - 3 + (size_t)i) * n - 2] = i == 1 ? -DBL_MAX : DBL_MAX;
    }
    OVERFLOWS_AT(call_part(ALL_CENTRE, n, p, a, b, c, d), c, nn, 2, nn - 2 * n - 2, "K.5");
    memset(a, 0, sizeof a);
    const double part =
        0.75 * DBL_MAX / (2 - 2 / (double)n); /* v v^T for the signs v of H's last row: H K is 3/4 of M at most */
    for (size_t k = 0; k < nn; k++) a[k] = (k / n == n - 1) == (k % n == n - 1) ? part : -part;
    OVERFLOWS_AT(call_part(ALL_DEFINITION, n, p, a, b, c, d), c, nn, 1, nn - 1, "K.5, by definition");
    memset(a, 0, sizeof a);
    memset(b, 0, sizeof b);
    a[nn - 1] = 1; /* centred, its last element is (1 - 1/n)^2, n - 1 times the next */
    b[nn - 1] = 0x1p600;
    const double by = 0x1.8p424 * (double)nn / (double)((n - 1) * (n - 1));
    OVERFLOWS_AT(smoe_hsic_biased_vjp(n, a, b, SMOE_DIVIDE_NONE, by, c, d), c, nn, 1, nn - 1, "K.6', K");
    OVERFLOWS_AT(smoe_hsic_biased_vjp(n, b, a, SMOE_DIVIDE_NONE, by, c, d), d, nn, 1, nn - 1, "K.6', L");
    if (n < 7) return;
    a[nn - 1] = b[nn - 1] = 0; /* U-centred, 1 becomes 1 - 2/5 + 1/30 = 19/30, and what is beside it -1/6 at most */
    a[nn - 2] = 1;
    b[nn - 2] = 0x1p600;
    OVERFLOWS_AT(smoe_hsic_unbiased_vjp(n, a, b, 0x1p425 * 28, sums, c, d), c, nn, 1, nn - 2, "K.8', K");
    OVERFLOWS_AT(smoe_hsic_unbiased_vjp(n, b, a, 0x1p425 * 28, sums, c, d), d, nn, 1, nn - 2, "K.8', L");
}
END_TEST

/* U_ij = K_ij - (r_i + c_j)/2 + all/6, where r_3 + c_2 is 3/2 of the largest double, and no other off the diagonal is above it. */
START_TEST(u_centring_overflows_late)
{
    const double part[16] = {0, -.5, -.5, .5, 0, 0, .5, 0, -.5, .5, 0, 0, .5, 0, .5, 0};
    double K[16], U[16], sums[8];
    for (size_t k = 0; k < 16; k++) K[k] = part[k] * DBL_MAX;
    OVERFLOWS_AT(smoe_u_centre(4, K, sums, U), U, 16, 1, 14, "K.7");
}
END_TEST

/* Every pair of 50 samples, on either side of a strip of 48: the distance of two overflows, that of either from the others does not. */
START_TEST(every_distance_is_looked_at)
{
    enum { N = 50 };
    double *x = room(N), *D = room(2 * N * N);
    for (size_t k = 0; k < 2 * N * N; k++) D[k] = INFINITY; /* what has not been computed yet */
    ck_assert_msg(smoe_squared_distances(N, 1, x, D) == SMOE_OK, "K.2: what is behind is looked at");
    for (size_t i = 0; i < N; i++)
        for (size_t j = i + 1; j < N; j++) {
            x[i] = 0x1p511;
            x[j] = -0x1p511;
            ck_assert_msg(smoe_squared_distances(N, 1, x, D) == SMOE_EOVRFLW, "K.2: %zu and %zu are not seen", i, j);
            x[i] = x[j] = 0;
        }
    free(x), free(D);
}
END_TEST

/* The gradient of CKA by features is a sum of two parts, and here the sum overflows in its last element, no part does: the other
 * elements are what the gradient for 1 is, times the cotangent. */
START_TEST(the_sum_of_two_parts_overflows)
{
    enum { N = 5, P = 3, Q = 2 };
    const smoe_similarity how = {
        .kernel = SMOE_KERNEL_LINEAR, .route = SMOE_ROUTE_FEATURES, .estimator = SMOE_HSIC_UNBIASED};
    const double x[N * P] = {.5, .25, .5, -.375, .25, .125, -.5, -.125, .25, .5, 0, -.5, .25, -.5, .375};
    const double y[N * Q] = {4, -4, -1, -2, -1, -4, 1, 4, -3, 1};
    double dx[N * P], one[N * P], dy[N * Q], *work = room(smoe_cka_work(&how, N, P, Q));
    cka_gradient(how, N, P, x, Q, y, 1, one, dy);
    const double g = DBL_MAX / fabs(one[N * P - 1]) * (1 + 0x1p-20);
    OVERFLOWS_AT(smoe_cka_vjp(&how, N, P, x, Q, y, g, work, dx, dy), dx, N * P, 1, N * P - 1, "K.11'");
    for (size_t k = 0; k + 1 < N * P; k++)
        ck_assert_msg(fabs(dx[k] - g * one[k]) <= 0x1p-30 * fabs(g), "K.11': [%zu] is %g, not %g", k, dx[k],
                      g * one[k]);
    cka_gradient(how, N, P, x, Q, y, g * (1 - 0x1p-19), dx, dy);
    free(work);
}
END_TEST

/* What is behind a cotangent, NaN, is not looked at, with fewer samples than features and with more. */
START_TEST(kernels_read_no_further)
{
    enum { BEHIND = 32 };
    for (int k = 0; k < 2 * KERNELS; k++) {
        const smoe_similarity how = kernel_of(k / 2);
        const size_t n = k % 2 == 0 ? 3 : 5, p = 8 - n;
        double x[15 + BEHIND], G[25 + BEHIND], dx[15 + BEHIND], *work = room(smoe_gram_work(n, p));
        uint64_t seed = 73;
        slopes_fill(&seed, 1, 15, x);
        slopes_fill(&seed, 1, 25, G);
        for (size_t i = n * p; i < 15 + BEHIND; i++) x[i] = NAN;
        for (size_t i = n * n; i < 25 + BEHIND; i++) G[i] = NAN;
        for (size_t i = 0; i < 15 + BEHIND; i++) dx[i] = INFINITY;
        OK(smoe_gram_vjp(&how, n, p, x, G, work, dx));
        OK(smoe_gram_centred_vjp(&how, n, p, x, G, work, dx));
        for (size_t i = 0; i < 15 + BEHIND; i++)
            ck_assert_msg((i < n * p) == isfinite(dx[i]), "%s: dx[%zu] is %g", kernel_name[k / 2], i, dx[i]);
        free(work);
    }
}
END_TEST

/* Each element of rows and shifts is asked for, and each sum of earlier rows; a gradient overflows in its last element alone. */
START_TEST(moments_are_looked_at_to_the_last)
{
    enum { ROWS = 4, P = 3, Q = 2 };
    double x[ROWS * P], y[ROWS * Q], shift[P + Q], work[64], dx[ROWS * P + 8], a;
    moments_room r, before;
    memset(&r, 0, sizeof r); /* all of it is compared */
    related(43, ROWS, P, x, Q, y);
    slopes_fill(&(uint64_t){44}, 1, P + Q, shift);
    start_moments(&r, P, Q);
    OK(smoe_moments_add(&r.m, ROWS, x, y, NULL, NULL, NULL));
    memcpy(&before, &r, sizeof r);
    poison_all(ROWS * P + 8, dx);
    for (size_t k = 0; k < ROWS * (P + Q) + P + Q; k++) {
        double *const at = k < ROWS * P ? x + k : k < ROWS * (P + Q) ? y + k - ROWS * P : shift + k - ROWS * (P + Q);
        const double kept = *at;
        *at = k % 2 == 0 ? NAN : INFINITY;
        ck_assert_msg(smoe_moments_add(&r.m, ROWS, x, y, shift, shift + P, work) == SMOE_EDOM, "K.10: [%zu]", k);
        for (int biased = 0; biased < 2 && k < ROWS * (P + Q); biased++)
            ck_assert_msg(smoe_hsic_moments_vjp(&r.m, biased ? SMOE_HSIC_BIASED : SMOE_HSIC_UNBIASED, SMOE_DIVIDE_N, 1,
                                                ROWS, x, y, work, dx) == SMOE_EDOM,
                          "K.11': [%zu]", k);
        *at = kept;
    }
    ck_assert_msg(memcmp(&before, &r, sizeof r) == 0 && untouched(ROWS * P, dx),
                  "K.10: what is refused changes nothing");
    double *const sum[] = {&r.m.sx[P - 1],  &r.m.sy[Q - 1], &r.m.c[P * Q - 1], &r.m.xyy[P - 1],
                           &r.m.yxx[Q - 1], &r.m.xx,        &r.m.yy,           &r.m.xxyy};
    for (size_t k = 0; k < sizeof sum / sizeof *sum; k++) {
        const double kept = *sum[k];
        *sum[k] = INFINITY; /* one sum in turn has overflowed before */
        ck_assert_msg(smoe_moments_add(&r.m, 0, x, y, NULL, NULL, NULL) == SMOE_EOVRFLW, "K.10: sum %zu", k);
        *sum[k] = kept;
    }
    OK(smoe_moments_add(&r.m, 0, x, y, NULL, NULL, NULL));
    start_moments(&r, P, Q);
    r.m.n = ROWS;
    r.m.c[P * Q - 1] = 0x1p600;
    memset(x, 0, sizeof x);
    memset(y, 0, sizeof y);
    y[ROWS * Q - 1] = 0x1p600;
    for (size_t k = 0; k < ROWS * P + 8; k++) dx[k] = INFINITY;
    OVERFLOWS_AT(smoe_hsic_moments_vjp(&r.m, SMOE_HSIC_BIASED, SMOE_DIVIDE_NONE, 1, ROWS, x, y, work, dx), dx, ROWS * P,
                 1, ROWS * P - 1, "K.11'");
    y[ROWS * Q - 1] = 1;
    OK(smoe_hsic_moments_vjp(&r.m, SMOE_HSIC_BIASED, SMOE_DIVIDE_NONE, 1, ROWS, x, y, work, dx));
    ck_assert_int_eq(smoe_cka_ratio_vjp(0, 0x1p-500, 0x1p-500, 0x1p600, &a, dx, dx + 1), SMOE_EOVRFLW);
    ck_assert_msg(a == INFINITY && dx[0] == 0 && dx[1] == 0, "K.9: only dh_xy was to overflow: %g %g %g", a, dx[0],
                  dx[1]);
}
END_TEST

/* The gradient of one side's Gram matrix, dh_xy B + 2 dh_xx A of the centred ones, overflows in its last element alone: an overflow, and
 * no cotangent that is refused further on. */
START_TEST(the_gradient_of_a_side_overflows_in_the_last)
{
    enum { N = 4, P = 2 };
    const double x[N * P] = {0, -.25, .25, .125, -.0625, .0625, 0, -.25}, y[N] = {-32, 16, -16, 48};
    double xc[N * P], yc[N], G[N * N], H[N * N], A[N * N], B[N * N], xx = 0, yy = 0, xy = 0, dxy, dxx, dyy, dx[N * P],
                                                                     dy[N];
    OK(smoe_centre_features(N, P, x, xc));
    OK(smoe_centre_features(N, 1, y, yc));
    OK(smoe_gram_linear(N, P, xc, G));
    OK(smoe_gram_linear(N, 1, yc, H));
    OK(smoe_centre(N, G, A));
    OK(smoe_centre(N, H, B));
    for (size_t k = 0; k < N * N; k++) xx += A[k] * A[k], yy += B[k] * B[k], xy += A[k] * B[k];
    OK(smoe_cka_ratio_vjp(xy, xx, yy, 1, &dxy, &dxx, &dyy));
    const double last = dxy * B[N * N - 1] + 2 * dxx * A[N * N - 1], g = DBL_MAX / fabs(last) * (1 + 0x1p-20);
    for (size_t k = 0; k + 1 < N * N; k++)
        ck_assert_msg(fabs(dxy * B[k] + 2 * dxx * A[k]) < 0.99 * fabs(last), "K.6': [%zu] is as large", k);
    double *work = room(smoe_cka_work(&linear_biased, N, P, 1));
    ck_assert_int_eq(smoe_cka_vjp(&linear_biased, N, P, x, 1, y, g, work, dx, dy), SMOE_EOVRFLW);
    OK(smoe_cka_vjp(&linear_biased, N, P, x, 1, y, g / 4, work, dx, dy));
    free(work);
}
END_TEST

/* Workspace with poison behind it: how much of it was written. */
enum { BEHIND_WORK = 64 };

static size_t written(size_t size, const double *work)
{
    size_t n = size + BEHIND_WORK;
    while (n > 0 && work[n - 1] == poison) n--;
    return n;
}

/* No function writes behind its workspace, and one of those that share a size writes its last double: none is too small, and none too
 * large.  By features the size is for the wider of two; without a difference, and biased, all of it is used. */
START_TEST(workspaces_are_used_to_the_last)
{
    enum { N = 6, ROOM = 8192 };
    static const size_t width[][2] = {{2, 5}, {5, 2}, {3, 3}};
    double x[5 * N], y[5 * N], dx[5 * N], dy[5 * N], K[N * N], G[N * N], a, *work = room(ROOM);
    uint64_t seed = 67;
    slopes_fill(&seed, 1, N * N, G);
    for (int s = 0; s < 3; s++) {
        const size_t p = width[s][0], q = width[s][1];
        related(59, N, p, x, q, y);
        for (int i = 0; i < KINDS; i++) {
            const char *name;
            const smoe_similarity how = kind_of(i, &name);
            const size_t size = smoe_cka_work(&how, N, p, q);
            size_t most = 0;
            ck_assert_uint_eq(smoe_hsic_work(&how, N, p, q), size);
            for (int f = 0; f < 4; f++) {
                poison_all(ROOM, work);
                OK(f == 0   ? smoe_hsic(&how, N, p, x, q, y, work, &a)
                   : f == 1 ? smoe_hsic_vjp(&how, N, p, x, q, y, 1, work, dx, dy)
                   : f == 2 ? smoe_cka(&how, N, p, x, q, y, work, &a)
                            : smoe_cka_vjp(&how, N, p, x, q, y, 1, work, dx, dy));
                const size_t n = written(size, work);
                ck_assert_msg(n <= size, "%s: %zu of %zu doubles of workspace", name, n, size);
                if (n > most) most = n;
            }
            const bool biased = how.estimator == SMOE_HSIC_BIASED;
            if (how.route == SMOE_ROUTE_GRAM ? !biased : biased && p == q)
                ck_assert_msg(most == size, "%s: only %zu of %zu doubles of workspace", name, most, size);
        }
        for (int k = 0; k < KERNELS; k++) {
            const smoe_similarity how = kernel_of(k);
            size_t size = smoe_gram_work(N, p), most = 0;
            for (int f = 0; f < 4; f++) {
                poison_all(ROOM, work);
                OK(f == 0   ? smoe_gram(&how, N, p, x, work, K, &a)
                   : f == 1 ? smoe_gram_vjp(&how, N, p, x, G, work, dx)
                   : f == 2 ? smoe_gram_centred(&how, N, p, x, work, K, &a)
                            : smoe_gram_centred_vjp(&how, N, p, x, G, work, dx));
                const size_t n = written(size, work);
                ck_assert_msg(n <= size, "%s: %zu of %zu doubles of workspace", kernel_name[k], n, size);
                if (n > most) most = n;
            }
            if (k == 0) ck_assert_msg(most == size, "K.5: only %zu of %zu doubles of workspace", most, size);
            size = smoe_cka_minibatch_work(N, p, q);
            for (int f = 0; f < 2; f++) {
                poison_all(ROOM, work);
                OK(f == 0 ? smoe_cka_minibatch(&how, N, N, p, x, q, y, work, &a)
                          : smoe_cka_minibatch_vjp(&how, N, N, p, x, q, y, 1, work, dx, dy));
                ck_assert_msg(written(size, work) == size, "K.12: %zu of %zu doubles of workspace", written(size, work),
                              size);
            }
        }
    }
    free(work);
}
END_TEST

/* The fast forms have the bits of the plain loops, at sizes on both sides of strips (48), tiles (8), blocks (256, 1024). */
static void compare_with_plain_loops(size_t n, size_t p, uint64_t seed)
{
    double *x = room(n * p), *D = room(n * n), *plain = room(n * n), *dx = room(n * p), *plain_dx = room(n * p), v;
    double *K = room(n * n), *C = room(n * n);
    for (size_t k = 0; k < n * p; k++) x[k] = 1e3 + 2 * slopes_draw(&seed);
    OK(smoe_squared_distances(n, p, x, D));
    OK(smoe_squared_distances_naive(n, p, x, plain));
    ck_assert_msg(memcmp(D, plain, n * n * sizeof *D) == 0, "distances, n=%zu p=%zu: other bits", n, p);
    OK(smoe_gram_rbf(n, D, 1.5, K));
    OK(smoe_gram_rbf_less_one(n, D, 1.5, C));
    for (size_t k = 0; k < n * n; k++)
        ck_assert_msg(K[k] == smoe_exp(-(D[k] / 3)) && C[k] == smoe_expm1(-(D[k] / 3)), "exp of %a has other bits",
                      D[k]);
    for (size_t k = 0; k < n * n; k++) K[k] = slopes_draw(&seed);
    OK(smoe_squared_distances_vjp(n, p, x, K, dx));
    OK(smoe_squared_distances_vjp_naive(n, p, x, K, plain_dx));
    ck_assert_msg(memcmp(dx, plain_dx, n * p * sizeof *dx) == 0, "their gradient, n=%zu p=%zu: other bits", n, p);
    OK(smoe_gram_rbf_vjp(n, D, 1.5, K, C, &v));
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double row = 0;
        for (size_t k = i * n; k < (i + 1) * n; k++) {
            const double weight = K[k] * smoe_exp(-(D[k] / 3));
            ck_assert_msg(C[k] == -(weight / 3), "gradient of the kernel, n=%zu: other bits", n);
            row = fma(weight, D[k], row);
        }
        sum += row;
    }
    ck_assert_msg(v == sum / 3 / 1.5, "gradient of the variance, n=%zu: other bits", n);
    OK(smoe_centre(n, K, C));
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) plain[i * n + j] = K[i * n + j] - smoe_sum(n, K + i * n) / (double)n;
    for (size_t j = 0; j < n; j++) {
        double mean = 0;
        for (size_t i = 0; i < n; i++) mean += plain[i * n + j];
        mean /= (double)n;
        for (size_t i = 0; i < n; i++) plain[i * n + j] -= mean;
    }
    ck_assert_msg(memcmp(C, plain, n * n * sizeof *C) == 0, "centring, n=%zu: other bits", n);
    free(x), free(D), free(plain), free(dx), free(plain_dx), free(K), free(C);
}

/* evidence properties: K.2 K.4 K.5 */
START_TEST(fast_forms_have_the_bits_of_plain_loops)
{
    static const size_t size[][2] = {{1, 1}, {2, 3}, {7, 25}, {8, 24}, {9, 64}, {47, 2}, {48, 5}, {49, 257}, {97, 8}};
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) compare_with_plain_loops(size[i][0], size[i][1], 40 + i);
    if (getenv("SMOE_TEST_LIGHT") == NULL) {
        compare_with_plain_loops(259, 5, 50);
        compare_with_plain_loops(1025, 1, 51);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("similarity");
    TCase *hand = tcase_create("by hand"), *slope = tcase_create("gradients"), *property = tcase_create("properties");
    TCase *error = tcase_create("errors");
    suite_add_tcase(s, hand);
    suite_add_tcase(s, slope);
    suite_add_tcase(s, property);
    suite_add_tcase(s, error);
    tcase_set_timeout(slope, 120);
    tcase_set_timeout(property, 120);
    tcase_add_test(hand, linear_kernel_by_hand);
    tcase_add_test(hand, distances_by_hand);
    tcase_add_test(hand, bandwidths_by_hand);
    tcase_add_test(hand, bandwidth_gradient_by_hand);
    tcase_add_test(hand, no_bandwidth_no_kernel);
    tcase_add_test(hand, bandwidth_corners);
    tcase_add_test(hand, rbf_by_hand);
    tcase_add_test(hand, centring_by_hand);
    tcase_add_test(hand, biased_by_hand);
    tcase_add_test(hand, u_centring_by_hand);
    tcase_add_test(hand, unbiased_by_hand);
    tcase_add_test(hand, far_samples_by_hand);
    tcase_add_test(hand, half_divides_the_forms_of_the_kernel);
    tcase_add_test(hand, ratio_by_hand);
    tcase_add_test(hand, cka_by_hand);
    tcase_add_test(hand, moments_by_hand);
    tcase_add_test(hand, minibatch_by_hand);
    tcase_add_test(hand, cosine_by_hand);
    tcase_add_test(slope, gradients_of_the_parts);
    tcase_add_loop_test(slope, gradients_of_bandwidths, 0, 8);
    tcase_add_loop_test(slope, gradients_of_similarities, GRAM, CKA + 1);
    tcase_add_test(slope, gradients_of_moments);
    tcase_add_test(slope, gradients_of_minibatches);
    tcase_add_test(slope, a_wrong_gradient_is_seen);
    tcase_add_loop_test(property, collapse_is_one_and_stationary, 0, KINDS);
    tcase_add_loop_test(property, similarity_is_symmetric, 0, KINDS);
    tcase_add_loop_test(property, offsets_change_no_bit, 0, KINDS);
    tcase_add_loop_test(property, constant_features_have_no_similarity, 0, KINDS);
    tcase_add_loop_test(property, turned_and_scaled_features_are_alike, 0, KINDS);
    tcase_add_loop_test(property, gradients_keep_the_invariances, 0, KINDS);
    tcase_add_loop_test(property, ranges_of_cka, 0, KINDS);
    tcase_add_test(property, two_samples_say_nothing);
    tcase_add_test(property, three_ways_of_centring_agree);
    tcase_add_test(property, one_centring_is_enough);
    tcase_add_test(property, u_centring_is_a_projection);
    tcase_add_test(property, routes_agree_within_their_bound);
    tcase_add_test(property, divisors_do_not_touch_cka);
    tcase_add_test(property, blocks_change_no_bit);
    tcase_add_test(property, many_rows_by_features);
    tcase_add_test(property, the_engine_has_the_bits_of_moments);
    tcase_add_test(property, the_engine_sees_far_samples);
    tcase_add_test(property, unbiased_by_simulation);
    tcase_add_test(property, expectation_of_the_biased_form);
    tcase_add_test(property, narrow_features_tend_to_linear);
    tcase_add_test(property, medians_are_those_of_a_sorted_list);
    tcase_add_test(property, minibatches);
    tcase_add_test(property, cosines);
    tcase_add_test(property, kernels_are_their_parts);
    tcase_add_test(property, fast_forms_have_the_bits_of_plain_loops);
    tcase_add_test(error, parts_refuse);
    tcase_add_test(error, bandwidths_refuse);
    tcase_add_test(error, similarities_refuse);
    tcase_add_test(error, minibatches_and_moments_refuse);
    tcase_add_test(error, overflow_is_said);
    tcase_add_loop_test(error, inputs_are_asked_for_to_the_last, 0, 2 * ALL_PARTS);
    tcase_add_loop_test(error, results_are_looked_at_to_the_last, 0, 2);
    tcase_add_test(error, u_centring_overflows_late);
    tcase_add_test(error, workspaces_are_used_to_the_last);
    tcase_add_test(error, kernels_read_no_further);
    tcase_add_test(error, moments_are_looked_at_to_the_last);
    tcase_add_test(error, the_gradient_of_a_side_overflows_in_the_last);
    tcase_add_test(error, every_distance_is_looked_at);
    tcase_add_test(error, the_sum_of_two_parts_overflows);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
