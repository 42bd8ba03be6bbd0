/* (T.8) by other routes than ref/: V from signs of p - q and differences of distribution functions, with no quadrature at
 * all; h^2 by Arb's rigorous integration. */
#include "twin_parts.h"

#include <math.h>

#ifdef HAVE_FLINT_ARB_H
#include <flint/acb.h>
#include <flint/acb_calc.h>
#include <flint/arb_hypgeom.h>
#include <flint/arb_poly.h>
#else
#include <acb.h>
#include <acb_calc.h>
#include <arb_hypgeom.h>
#include <arb_poly.h>
#endif

enum { ORDER = 10, MOST_SPLITS = 20000 };
static const double reach = 14; /* standard deviations: 1.6e-44 of the mass is beyond */

/* One mixture: sum_i scale_i exp(-(y - mean_i)^2 / (2 nu_i)), scale_i = pi_i / sqrt(2 pi nu_i) */
typedef struct {
    size_t k;
    arb_ptr weight, mean, nu, scale;
} mixture;

typedef struct {
    mixture p, q;
    slong prec;
    /* of V: where the run of one sign under way began, its sign (0: none yet), what is known so far */
    arf_t began;
    int sign;
    arb_t sum;
    size_t splits;
} problem;

/* --- mixtures --- */

static void mixture_clear(mixture *m)
{
    _arb_vec_clear(m->weight, (slong)m->k);
    _arb_vec_clear(m->mean, (slong)m->k);
    _arb_vec_clear(m->nu, (slong)m->k);
    _arb_vec_clear(m->scale, (slong)m->k);
}

/* The middles of the balls, which are the numbers that the distances are computed for; false if they make no mixture. */
static bool mixture_set(mixture *m, const twin_mixture *of, slong prec)
{
    bool good = true;
    const slong k = (slong)of->k;
    *m = (mixture){of->k, _arb_vec_init(k), _arb_vec_init(k), _arb_vec_init(k), _arb_vec_init(k)};
    for (slong i = 0; i < k; i++) {
        good = good && arb_is_finite(of->logpi + i) && arb_is_finite(of->mean + i) && arb_is_finite(of->nu + i) &&
               arf_sgn(arb_midref(of->nu + i)) > 0;
        if (!good) continue;
        arb_get_mid_arb(m->weight + i, of->logpi + i);
        arb_exp(m->weight + i, m->weight + i, prec);
        arb_get_mid_arb(m->mean + i, of->mean + i);
        arb_get_mid_arb(m->nu + i, of->nu + i);
        arb_const_pi(m->scale + i, prec);
        arb_mul(m->scale + i, m->scale + i, m->nu + i, prec);
        arb_mul_2exp_si(m->scale + i, m->scale + i, 1);
        arb_rsqrt(m->scale + i, m->scale + i, prec);
        arb_mul(m->scale + i, m->scale + i, m->weight + i, prec);
    }
    return good;
}

/* sum_i pi_i Phi(sign (mean_i - y)/sqrt nu_i): the mass above y, or below it for a sign of -1 */
static void mass(arb_t s, const mixture *m, arf_srcptr y, int sign, slong prec)
{
    arb_t z, d;
    arb_init(z);
    arb_init(d);
    arb_zero(s);
    for (size_t i = 0; i < m->k; i++) {
        arb_set_arf(z, y);
        arb_sub(z, z, m->mean + i, prec);
        if (sign < 0) arb_neg(z, z);
        arb_mul_2exp_si(d, m->nu + i, 1);
        arb_rsqrt(d, d, prec);
        arb_mul(z, z, d, prec);
        arb_hypgeom_erfc(z, z, prec);
        arb_mul_2exp_si(z, z, -1);
        arb_addmul(s, z, m->weight + i, prec);
    }
    arb_clear(z);
    arb_clear(d);
}

/* --- V: runs of one sign --- */

/* Adds factor times m's Taylor polynomial at y (a ball is allowed) to f: the first `len` coefficients. */
static void add_series(arb_poly_t f, const mixture *m, const arb_t y, int factor, slong len, slong prec)
{
    arb_poly_t e;
    arb_t c, w;
    arb_poly_init(e);
    arb_init(c);
    arb_init(w);
    for (size_t i = 0; i < m->k; i++) { /* -(y + t - mean)^2 / (2 nu) */
        arb_poly_zero(e);
        arb_inv(w, m->nu + i, prec);
        arb_sub(c, y, m->mean + i, prec);
        arb_mul(c, c, w, prec);
        arb_neg(c, c);
        arb_poly_set_coeff_arb(e, 1, c);
        arb_sub(c, y, m->mean + i, prec);
        arb_sqr(c, c, prec);
        arb_mul(c, c, w, prec);
        arb_mul_2exp_si(c, c, -1);
        arb_neg(c, c);
        arb_poly_set_coeff_arb(e, 0, c);
        arb_mul_2exp_si(w, w, -1);
        arb_neg(w, w);
        arb_poly_set_coeff_arb(e, 2, w);
        arb_poly_exp_series(e, e, len, prec);
        arb_mul_si(c, m->scale + i, factor, prec);
        arb_poly_scalar_mul(e, e, c, prec);
        arb_poly_add(f, f, e, prec);
    }
    arb_poly_clear(e);
    arb_clear(c);
    arb_clear(w);
}

/* p - q on [a,b]: 1, -1, or 0 if its sign is not known; *most bounds |p - q| there. */
static int sign_on(const problem *x, arf_srcptr a, arf_srcptr b, arb_t most)
{
    arb_t all, middle, radius, c, rest, power;
    arb_poly_t at, over;
    arb_init(all);
    arb_init(middle);
    arb_init(radius);
    arb_init(c);
    arb_init(rest);
    arb_init(power);
    arb_poly_init(at);
    arb_poly_init(over);
    arb_set_interval_arf(all, a, b, x->prec);
    arb_set_arf(middle, a);
    arb_set_arf(radius, b);
    arb_sub(radius, radius, middle, x->prec);
    arb_mul_2exp_si(radius, radius, -1);
    arb_add(middle, middle, radius, x->prec);
    add_series(at, &x->p, middle, 1, ORDER, x->prec);
    add_series(at, &x->q, middle, -1, ORDER, x->prec);
    add_series(over, &x->p, all, 1, ORDER + 1, x->prec);
    add_series(over, &x->q, all, -1, ORDER + 1, x->prec);
    arb_zero(rest);
    arb_one(power);
    for (slong j = 1; j <= ORDER; j++) { /* |f(y) - f(middle)| at most */
        arb_mul(power, power, radius, x->prec);
        arb_poly_get_coeff_arb(c, j < ORDER ? at : over, j);
        arb_abs(c, c);
        arb_addmul(rest, c, power, x->prec);
    }
    arb_poly_get_coeff_arb(c, at, 0);
    arb_abs(most, c);
    const int sign = arb_is_finite(rest) && arb_gt(most, rest) ? (arb_is_positive(c) ? 1 : -1) : 0;
    arb_add(most, most, rest, x->prec);
    arb_clear(all);
    arb_clear(middle);
    arb_clear(radius);
    arb_clear(c);
    arb_clear(rest);
    arb_clear(power);
    arb_poly_clear(at);
    arb_poly_clear(over);
    return sign;
}

/* Ends the run under way at y: |int (p - q)| / 2 over it is half the difference of two distribution functions'. */
static void end_run(problem *x, arf_srcptr y)
{
    if (x->sign == 0) return;
    arb_t s, f;
    arb_init(s);
    arb_init(f);
    mass(s, &x->p, y, 1, x->prec);
    mass(f, &x->q, y, 1, x->prec);
    arb_sub(s, s, f, x->prec);
    mass(f, &x->p, x->began, 1, x->prec);
    arb_sub(s, f, s, x->prec);
    mass(f, &x->q, x->began, 1, x->prec);
    arb_sub(s, s, f, x->prec);
    arb_abs(s, s);
    arb_mul_2exp_si(s, s, -1);
    arb_add(x->sum, x->sum, s, x->prec);
    x->sign = 0;
    arb_clear(s);
    arb_clear(f);
}

static void go_on(problem *x, arf_srcptr a, int sign)
{
    if (x->sign != sign) {
        end_run(x, a);
        arf_set(x->began, a);
        x->sign = sign;
    }
}

/* A piece on which the sign is not known has between 0 and `most` of V. */
static void leave_open(problem *x, arf_srcptr a, const arb_t most)
{
    mag_t m;
    mag_init(m);
    end_run(x, a);
    arb_get_mag(m, most);
    arb_add_error_mag(x->sum, m);
    mag_clear(m);
}

static void scan(problem *x, arf_srcptr a, arf_srcptr b, int goal, int depth)
{
    arb_t most, width;
    arf_t middle;
    arb_init(most);
    arb_init(width);
    arf_init(middle);
    const int sign = sign_on(x, a, b, most);
    arb_set_arf(width, b);
    arf_sub(middle, b, a, x->prec, ARF_RND_UP);
    arb_set_arf(width, middle);
    arb_mul(most, most, width, x->prec);
    arb_mul_2exp_si(most, most, -1);
    if (sign != 0) {
        go_on(x, a, sign);
    } else if ((arb_is_finite(most) && mag_cmp_2exp_si(arb_radref(most), goal) < 0 &&
                arf_cmpabs_2exp_si(arb_midref(most), goal) < 0) ||
               depth == 0 || x->splits == MOST_SPLITS) {
        leave_open(x, a, most);
    } else {
        x->splits++;
        arf_add(middle, a, b, ARF_PREC_EXACT, ARF_RND_DOWN);
        arf_mul_2exp_si(middle, middle, -1);
        scan(x, a, middle, goal, depth - 1);
        scan(x, middle, b, goal, depth - 1);
    }
    arb_clear(most);
    arb_clear(width);
    arf_clear(middle);
}

/* --- h^2: the integrand for complex y --- */

/* The exponent of atom i: -(y - mean)^2 / (2 nu) */
static void exponent(acb_t e, const mixture *m, size_t i, const acb_t y, slong prec)
{
    arb_t c;
    arb_init(c);
    acb_sub_arb(e, y, m->mean + i, prec);
    acb_sqr(e, e, prec);
    arb_mul_2exp_si(c, m->nu + i, 1);
    arb_neg(c, c);
    acb_div_arb(e, e, c, prec);
    arb_clear(c);
}

/* The exponent of atom i less that of atom w: with u = y - mean of w and d = mean of i - mean of w,
 *   u^2/(2 nu_w) - (u - d)^2/(2 nu_i) = u^2 (nu_i - nu_w)/(2 nu_w nu_i) + (u - d/2) d/nu_i,
 * where what the two have in common is gone before a ball around many y can make it wide. */
static void exponent_over(acb_t e, const mixture *m, size_t i, size_t w, const acb_t y, slong prec)
{
    acb_t u;
    arb_t d, c;
    acb_init(u);
    arb_init(d);
    arb_init(c);
    acb_sub_arb(u, y, m->mean + w, prec);
    acb_sqr(e, u, prec);
    arb_sub(c, m->nu + i, m->nu + w, prec);
    acb_mul_arb(e, e, c, prec);
    arb_mul_2exp_si(c, m->nu + w, 1);
    acb_div_arb(e, e, c, prec);
    arb_sub(d, m->mean + i, m->mean + w, prec);
    arb_mul_2exp_si(c, d, -1);
    acb_sub_arb(u, u, c, prec);
    acb_addmul_arb(e, u, d, prec);
    acb_div_arb(e, e, m->nu + i, prec);
    acb_clear(u);
    arb_clear(d);
    arb_clear(c);
}

/* The atom with the largest exponent at the middle of y. */
static size_t leading_at(const mixture *m, const acb_t y, slong prec)
{
    size_t best = 0;
    acb_t middle, e;
    acb_init(middle);
    acb_init(e);
    acb_set(middle, y);
    acb_get_mid(middle, middle);
    for (size_t i = 1; i < m->k; i++) {
        exponent_over(e, m, i, best, middle, prec);
        if (arf_sgn(arb_midref(acb_realref(e))) > 0) best = i;
    }
    acb_clear(middle);
    acb_clear(e);
    return best;
}

/* sqrt p = e^(w/2) sqrt(p / e^w) with w the exponent of one atom: the second root is far from its cut where that atom leads.
 * On a ball around real points it is the branch that is positive there. */
static void root_of(acb_t s, const mixture *m, const acb_t y, bool analytic, slong prec)
{
    const size_t leading = leading_at(m, y, prec);
    acb_t e, w;
    acb_init(e);
    acb_init(w);
    exponent(w, m, leading, y, prec);
    acb_zero(s);
    for (size_t i = 0; i < m->k; i++) {
        exponent_over(e, m, i, leading, y, prec);
        acb_exp(e, e, prec);
        acb_addmul_arb(s, e, m->scale + i, prec);
    }
    acb_sqrt_analytic(s, s, analytic, prec);
    acb_mul_2exp_si(w, w, -1);
    acb_exp(w, w, prec);
    acb_mul(s, s, w, prec);
    if (!arb_contains_zero(acb_imagref(y))) acb_indeterminate(s);
    acb_clear(e);
    acb_clear(w);
}

static int hellinger_integrand(acb_ptr y, const acb_t at, void *context, slong order, slong prec)
{
    const problem *x = context;
    acb_t q;
    acb_init(q);
    root_of(y, &x->p, at, order != 0, prec);
    root_of(q, &x->q, at, order != 0, prec);
    acb_sub(y, y, q, prec);
    acb_sqr(y, y, prec);
    acb_mul_2exp_si(y, y, -1);
    acb_clear(q);
    return 0;
}

/* Where the integral is not found. */
static void between_0_and_1(arb_t square)
{
    mag_t half;
    mag_init(half);
    mag_set_ui_2exp_si(half, 1, -1);
    arb_set_d(square, 0.5);
    arb_add_error_mag(square, half);
    mag_clear(half);
}

/* The deviations are seen among places as far out as `far`: those have more bits than this takes. */
static bool resolved(const mixture *m, double far, slong prec)
{
    bool all = true;
    for (size_t i = 0; i < m->k; i++) all = all && sqrt(arf_get_d(arb_midref(m->nu + i), ARF_RND_DOWN)) > ldexp(far, (int)(40 - prec));
    return all;
}

static void integrate_square(arb_t square, problem *x, arf_srcptr lo, arf_srcptr hi, slong bits)
{
    acb_t y, a, b;
    mag_t tolerance;
    acb_init(y);
    acb_init(a);
    acb_init(b);
    mag_init(tolerance);
    mag_set_ui_2exp_si(tolerance, 1, -2 * bits);
    arb_set_arf(acb_realref(a), lo);
    arb_set_arf(acb_realref(b), hi);
    acb_calc_integrate(y, hellinger_integrand, x, a, b, bits, tolerance, NULL, x->prec);
    arb_set(square, acb_realref(y));
    if (!arb_is_finite(square) || mag_cmp_2exp_si(arb_radref(square), -1) > 0) between_0_and_1(square);
    acb_clear(y);
    acb_clear(a);
    acb_clear(b);
    mag_clear(tolerance);
}

/* --- both --- */

/* Widens lo and hi to where less than 2^-145 of the mass of m is left. */
static void cover(const mixture *m, double *lo, double *hi)
{
    for (size_t i = 0; i < m->k; i++) {
        const double h = arf_get_d(arb_midref(m->mean + i), ARF_RND_NEAR);
        const double off = reach * sqrt(arf_get_d(arb_midref(m->nu + i), ARF_RND_UP)) + 1e-12 * fabs(h);
        *lo = fmin(*lo, h - off);
        *hi = fmax(*hi, h + off);
    }
}

/* Half the mass outside, which is at most what is left of either integral. */
static void add_tails(problem *x, arf_srcptr lo, arf_srcptr hi, arb_t variation, arb_t square)
{
    arb_t s, m;
    mag_t r;
    arb_init(s);
    arb_init(m);
    mag_init(r);
    mass(s, &x->p, lo, -1, 64);
    mass(m, &x->q, lo, -1, 64);
    arb_add(s, s, m, 64);
    mass(m, &x->p, hi, 1, 64);
    arb_add(s, s, m, 64);
    mass(m, &x->q, hi, 1, 64);
    arb_add(s, s, m, 64);
    arb_get_mag(r, s);
    arb_add_error_mag(variation, r);
    arb_add_error_mag(square, r);
    arb_clear(s);
    arb_clear(m);
    mag_clear(r);
}

double twin_distance(const twin_mixture *p, const twin_mixture *q, slong bits, arb_t variation, arb_t square)
{
    problem x = {.prec = 2 * bits + 32};
    double lo = INFINITY, hi = -INFINITY;
    arf_t a, b;
    arf_init(a);
    arf_init(b);
    arf_init(x.began);
    arb_init(x.sum);
    const bool good_p = mixture_set(&x.p, p, x.prec), good_q = mixture_set(&x.q, q, x.prec);
    arb_indeterminate(variation);
    arb_indeterminate(square);
    if (good_p && good_q) {
        cover(&x.p, &lo, &hi);
        cover(&x.q, &lo, &hi);
    }
    if (isfinite(lo) && isfinite(hi)) {
        arf_set_d(a, lo);
        arf_set_d(b, hi);
        scan(&x, a, b, (int)(-bits - 8), 400);
        end_run(&x, b);
        arb_set(variation, x.sum);
        const double far = fmax(fabs(lo), fabs(hi));
        if (resolved(&x.p, far, x.prec) && resolved(&x.q, far, x.prec))
            integrate_square(square, &x, a, b, bits);
        else
            between_0_and_1(square);
        add_tails(&x, a, b, variation, square);
        arb_nonnegative_part(square, square);
    }
    mixture_clear(&x.p);
    mixture_clear(&x.q);
    arf_clear(a);
    arf_clear(b);
    arf_clear(x.began);
    arb_clear(x.sum);
    return fmax(fabs(lo), fabs(hi));
}
