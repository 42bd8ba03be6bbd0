/* Total variation and Hellinger distance by quadrature (see convergence_distance.h). */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_errno.h>
#include <gsl/gsl_integration.h>
#include <gsl/gsl_math.h>
#include <gsl/gsl_roots.h>

#include "convergence_distance.h"
#include "op.h"

enum { SUBINTERVALS = 200, PROBES = 8 };
static const double reach = 10; /* standard deviations: 1.5e-23 of the mass is beyond */
static const double absolute = 1e-13, relative = 1e-10; /* asked of each piece */

/* The two densities at one x, and the tools. */
typedef struct {
    size_t kp, kq;
    double *p, *q; /* [4,k], smoe_mix_at */
    double *work;
    double *cut; /* ascending, from lo to hi */
    size_t cuts, room;
    gsl_integration_workspace *space;
    gsl_root_fsolver *solver;
} bench;

static double log_ratio(double y, void *context)
{
    const bench *b = context;
    return smoe_mixture_log_density(b->kp, b->p, y) - smoe_mixture_log_density(b->kq, b->q, y);
}

static double variation(double y, void *context)
{
    const bench *b = context;
    return smoe_total_variation_integrand(smoe_mixture_log_density(b->kp, b->p, y),
                                          smoe_mixture_log_density(b->kq, b->q, y));
}

static double hellinger(double y, void *context)
{
    const bench *b = context;
    return smoe_hellinger_integrand(smoe_mixture_log_density(b->kp, b->p, y), smoe_mixture_log_density(b->kq, b->q, y));
}

/* --- where to cut ------------------------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void add_cut(bench *b, double y)
{
    if (b->cuts < b->room) b->cut[b->cuts++] = y;
}

/* The means, and three standard deviations to either side, of the atoms that have weight. */
static void cut_at_atoms(bench *b, size_t k, const double *at, double lo, double hi)
{
    for (size_t i = 0; i < k; i++)
        for (int s = -1; s <= 1 && at[i] > -INFINITY; s++) {
            const double y = at[k + i] + 3 * s * sqrt(at[2 * k + i]);
            if (y > lo && y < hi) add_cut(b, y);
        }
}

/* Sorts, and leaves out cuts that are hardly apart: a fit lies close to the truth. */
static void thin(bench *b, double hi)
{
    size_t kept = 1;
    qsort(b->cut, b->cuts, sizeof *b->cut, ascending);
    const double least = (hi - b->cut[0]) / 100;
    for (size_t i = 1; i < b->cuts; i++)
        if (b->cut[i] - b->cut[kept - 1] >= least) b->cut[kept++] = b->cut[i];
    if (hi - b->cut[kept - 1] < least && kept > 1) kept--;
    b->cut[kept] = hi;
    b->cuts = kept + 1;
}

static double crossing(bench *b, double left, double right)
{
    gsl_function f = {log_ratio, b};
    if (gsl_root_fsolver_set(b->solver, &f, left, right) != GSL_SUCCESS) return left / 2 + right / 2;
    for (int i = 0; i < 60; i++) {
        if (gsl_root_fsolver_iterate(b->solver) != GSL_SUCCESS) break;
        const double a = gsl_root_fsolver_x_lower(b->solver), c = gsl_root_fsolver_x_upper(b->solver);
        if (c - a <= 1e-12 * (fabs(a) + fabs(c))) break;
    }
    return gsl_root_fsolver_root(b->solver);
}

/* Where |ln p/q| has a minimum between left and right, at both of which and at middle it has the sign `sign`: a point where it
 * has the other sign, or NAN if golden sections find none. */
static double other_side(bench *b, double left, double middle, double right, double sign)
{
    const double golden = 0.3819660112501051; /* (3 - sqrt 5) / 2 */
    double least = sign * log_ratio(middle, b);
    for (int i = 0; i < 60 && right - left > 1e-9 * (fabs(left) + fabs(right)); i++) {
        const double y =
            right - middle > middle - left ? middle + golden * (right - middle) : middle - golden * (middle - left);
        const double at = sign * log_ratio(y, b);
        if (at < 0) return y;
        if (at < least) {
            if (y > middle)
                left = middle;
            else
                right = middle;
            middle = y;
            least = at;
        } else if (y > middle) {
            right = y;
        } else {
            left = y;
        }
    }
    return NAN;
}

/* Adds the points where p - q changes its sign: between probes where it does, and about minima of |ln p/q| between probes
 * where it seems not to.  One that is missed costs accuracy, which the estimate of its piece need not notice. */
static void cut_at_crossings(bench *b)
{
    const size_t pieces = b->cuts - 1;
    double y[3] = {NAN, NAN, b->cut[0]}, f[3] = {NAN, NAN, log_ratio(b->cut[0], b)};
    for (size_t c = 0; c < pieces; c++)
        for (int j = 1; j <= PROBES; j++) {
            const double a = b->cut[c];
            memmove(y, y + 1, 2 * sizeof *y);
            memmove(f, f + 1, 2 * sizeof *f);
            y[2] = a + (b->cut[c + 1] - a) * j / PROBES;
            f[2] = log_ratio(y[2], b);
            const double sign = f[1] > 0 ? 1 : -1;
            if ((f[1] < 0 && f[2] > 0) || (f[1] > 0 && f[2] < 0)) add_cut(b, crossing(b, y[1], y[2]));
            if (f[0] * sign >= f[1] * sign && f[2] * sign >= f[1] * sign && f[1] != 0) {
                const double across = other_side(b, y[0], y[1], y[2], sign);
                if (isnan(across)) continue;
                add_cut(b, crossing(b, y[0], across));
                add_cut(b, crossing(b, across, y[2]));
            }
        }
    qsort(b->cut, b->cuts, sizeof *b->cut, ascending);
}

/* --- one x -------------------------------------------------------------------------------------------------------- */

/* How much the logarithm of a density may be off by rounding where it matters, within a few standard deviations: each
 * term of it is rounded, and the mean too. */
static double rounding(size_t k, const double *at)
{
    double most = 0;
    for (size_t i = 0; i < k; i++) {
        if (!(at[i] > -INFINITY)) continue;
        const double terms = fabs(at[i]) + fabs(at[3 * k + i]) + 2 * fabs(at[k + i]) / sqrt(at[2 * k + i]);
        most = fmax(most, 32 + terms);
    }
    return 8 * DBL_EPSILON * most;
}

static double integrate(bench *b, double (*f)(double, void *), double *error)
{
    gsl_function g = {f, b};
    double sum = 0;
    for (size_t c = 0; c + 1 < b->cuts; c++) {
        double part = 0, off = 0;
        if (!(b->cut[c] < b->cut[c + 1])) continue;
        /* a status says that the accuracy was not reached; the estimate then says so too */
        gsl_integration_qag(&g, b->cut[c], b->cut[c + 1], absolute, relative, SUBINTERVALS, GSL_INTEG_GAUSS21, b->space,
                            &part, &off);
        sum += part;
        *error += off;
    }
    return sum;
}

static smoe_status at_one_x(bench *b, const smoe_mix_shape *p, const double *theta_p, const smoe_mix_shape *q,
                            const double *theta_q, const double *x, mix_distance *d)
{
    double lo, hi, lo_q, hi_q;
    smoe_status status = smoe_mix_at(p, theta_p, x, b->work, b->p, NULL);
    if (status == SMOE_OK) status = smoe_mix_at(q, theta_q, x, b->work, b->q, NULL);
    if (status != SMOE_OK) return status;
    smoe_mixture_interval(b->kp, b->p, reach, &lo, &hi);
    smoe_mixture_interval(b->kq, b->q, reach, &lo_q, &hi_q);
    lo = fmin(lo, lo_q);
    hi = fmax(hi, hi_q);
    b->cuts = 0;
    add_cut(b, lo);
    cut_at_atoms(b, b->kp, b->p, lo, hi);
    cut_at_atoms(b, b->kq, b->q, lo, hi);
    thin(b, hi);
    const double outside = (smoe_mixture_outside(b->kp, b->p, lo, hi) + smoe_mixture_outside(b->kq, b->q, lo, hi)) / 2;
    const double noise = rounding(b->kp, b->p) + rounding(b->kq, b->q);
    d->square_error = outside;
    d->hellinger_square = integrate(b, hellinger, &d->square_error);
    d->square_error += noise * (sqrt(fabs(d->hellinger_square)) + noise);
    cut_at_crossings(b);
    d->variation_error = outside + noise;
    d->variation = integrate(b, variation, &d->variation_error);
    const bool finite = isfinite(d->variation + d->variation_error + d->hellinger_square + d->square_error);
    return finite ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status mix_distances(const smoe_mix_shape *p, const double *theta_p, const smoe_mix_shape *q,
                          const double *theta_q, size_t n, const double *x, mix_distance *result)
{
    if (smoe_mix_check(p) != SMOE_OK || smoe_mix_check(q) != SMOE_OK || p->d != q->d || n == 0) return SMOE_EINVAL;
    const size_t work = smoe_mix_work(p) > smoe_mix_work(q) ? smoe_mix_work(p) : smoe_mix_work(q);
    bench b = {.kp = p->k, .kq = q->k, .room = 4 + 3 * (p->k + q->k) * (2 * PROBES + 1)};
    b.p = op_room(4 * p->k, sizeof(double));
    b.q = op_room(4 * q->k, sizeof(double));
    b.work = op_room(work, sizeof(double));
    b.cut = op_room(b.room + 1, sizeof(double));
    gsl_error_handler_t *handler = gsl_set_error_handler_off();
    b.space = gsl_integration_workspace_alloc(SUBINTERVALS);
    b.solver = gsl_root_fsolver_alloc(gsl_root_fsolver_brent);
    smoe_status status = b.space && b.solver ? SMOE_OK : SMOE_EOVRFLW;
    mix_distance sum = {0, 0, 0, 0};
    for (size_t t = 0; t < n && status == SMOE_OK; t++) {
        mix_distance d;
        status = at_one_x(&b, p, theta_p, q, theta_q, x + t * p->d, &d);
        if (status != SMOE_OK) break;
        sum.variation += d.variation / (double)n;
        sum.variation_error += d.variation_error / (double)n;
        sum.hellinger_square += d.hellinger_square / (double)n;
        sum.square_error += d.square_error / (double)n;
    }
    if (status == SMOE_OK) *result = sum;
    if (b.space) gsl_integration_workspace_free(b.space);
    if (b.solver) gsl_root_fsolver_free(b.solver);
    gsl_set_error_handler(handler);
    free(b.p);
    free(b.q);
    free(b.work);
    free(b.cut);
    return status;
}
