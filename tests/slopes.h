/* Two checks of a gradient that do not share their mistakes.
 *
 *   slopes_order     Taylor's theorem, in extended precision, on a forward that the test writes itself from the spec:
 *                    R(e) = |phi(theta + e v) - phi(theta) - e <g, v>|  falls like e^2 if g is the gradient, else like e
 *   slopes_adjoint   <cotangent, J v> = <g, v>,  J v by central differences of the library's own forward
 *
 * phi is the scalar <cotangent, outputs>; theta is all inputs in one array.  The first check finds a relative error of
 * the gradient above about 1e-6, whatever the library's forward computes; the second one a vjp of another forward.
 */
#ifndef SMOEREF_TESTS_SLOPES_H
#define SMOEREF_TESTS_SLOPES_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* A number in (-1, 1), from the test's own generator (SplitMix64, public domain). */
static double slopes_draw(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return ((double)(z >> 12) + 0.5) * 0x1p-51 - 1.0;
}

static void slopes_fill(uint64_t *state, double scale, size_t n, double *x)
{
    for (size_t k = 0; k < n; k++) x[k] = scale * slopes_draw(state);
}

typedef long double (*slopes_exact)(const void *test, const long double *theta);
typedef double (*slopes_library)(const void *test, const double *theta);

/* Is a long double no wider than a double, as under Valgrind?  Then R at 2^-22 may be rounding. */
static bool slopes_narrow(void)
{
    volatile long double one = 1, more = one + 0x1p-60L;
    return more == one;
}

/* The observed order of R between e = 2^-first and e = 2^-last along a random direction. */
static double slopes_order_between(size_t n, const double *theta, const double *g, slopes_exact phi, const void *test,
                                   uint64_t seed, int first, int last)
{
    double *v = malloc((n + 1) * sizeof *v);
    long double *moved = malloc((n + 1) * sizeof *moved), slope = 0, size = 1, R[2];
    slopes_fill(&seed, 1.0, n, v);
    for (size_t k = 0; k < n; k++) {
        moved[k] = theta[k];
        slope += (long double)g[k] * v[k];
        size += fabsl((long double)g[k] * v[k]);
    }
    long double phi0 = phi(test, moved);
    for (int i = 0; i < 2; i++) {
        long double e = ldexpl(1, i == 0 ? -first : -last);
        for (size_t k = 0; k < n; k++) moved[k] = theta[k] + e * v[k];
        R[i] = fabsl(phi(test, moved) - phi0 - e * slope);
    }
    free(v);
    free(moved);
    const bool narrow = slopes_narrow();
    long double floor_ = (narrow ? 0x1p-46L : 0x1p-56L) * (fabsl(phi0) + size);
    if (R[0] <= floor_ && R[1] <= floor_ * (narrow ? 1 : 0x1p-10L)) return 2.0;
    return (double)(log2l(R[0] / (R[1] + 0x1p-16000L)) / (last - first));
}

/* 2 for the gradient (also returned where phi is affine along v, so that R is rounding only), about 1 for anything else. */
static double slopes_order(size_t n, const double *theta, const double *g, slopes_exact phi, const void *test,
                           uint64_t seed)
{
    return slopes_order_between(n, theta, g, phi, test, seed, 12, 22);
}

/* The same of a gradient that is right.  Where a long double is a double, phi's own rounding, 2^-52 of its largest term, hides a
 * curvature that is small beside that term: R at 2^-22 is that rounding.  R at 2^-16 is 2^12 times as large and shows the order;
 * where the curvature is smaller still it takes longer steps, which in turn may cross a kink: either range will do.  What they no
 * longer show, an entry off by 1/1000, is asked of slopes_order where long double is wide. */
static __attribute__((unused)) double slopes_order_right(size_t n, const double *theta, const double *g,
                                                         slopes_exact phi, const void *test, uint64_t seed)
{
    if (!slopes_narrow()) return slopes_order(n, theta, g, phi, test, seed);
    return fmax(slopes_order_between(n, theta, g, phi, test, seed, 12, 16),
                slopes_order_between(n, theta, g, phi, test, seed, 10, 15));
}

/* The relative difference of the two sides of the adjoint identity; v is random in theta[first .. first+count-1] and 0
 * elsewhere. */
static double slopes_adjoint(size_t n, const double *theta, const double *g, slopes_library phi, const void *test,
                             size_t first, size_t count, uint64_t seed)
{
    const double e = 0x1p-17;
    double *v = calloc(n + 1, sizeof *v), *up = malloc((n + 1) * sizeof *up), *down = malloc((n + 1) * sizeof *down);
    slopes_fill(&seed, 1.0, count, v + first);
    long double inner = 0, size = 1e-3L;
    for (size_t k = 0; k < n; k++) {
        up[k] = theta[k] + e * v[k];
        down[k] = theta[k] - e * v[k];
        inner += (long double)g[k] * v[k];
        size += fabsl((long double)g[k] * v[k]);
    }
    long double Jv = ((long double)phi(test, up) - (long double)phi(test, down)) / (2 * e);
    free(v);
    free(up);
    free(down);
    return (double)(fabsl(Jv - inner) / size);
}

#endif
