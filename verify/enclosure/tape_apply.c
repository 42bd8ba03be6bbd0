/* Functions of one variable on the tape: value, derivative, and the errors that an implementation may make in each.
 *
 * Bounds on errors are built from two units: w, one operation and its store, and e, one elementary function (exp, log,
 * erf, tanh, ...) and its store.  They allow the forms met in practice, fused or one tensor operation at a time:
 *
 *   sigmoid   1 / (1 + exp(-x)), exp(x) / (1 + exp(x))         silu    x sigmoid(x)
 *   softplus  log1p(exp(x)), max(x, 0) + log1p(exp(-|x|))      cdf     (1 + erf(x/sqrt 2)) / 2, erfc(-x/sqrt 2) / 2
 *   gelu      x cdf(x)                                         tanh'   1 - tanh^2,  sigmoid'  y (1 - y)
 */
#include "tape_rounding.h"

#include <math.h>

#ifdef HAVE_FLINT_ARB_H
#include <flint/arb_hypgeom.h>
#else
#include <arb_hypgeom.h>
#endif

/* --- exact functions --- */

static void sigmoid(arb_t y, const arb_t x, slong p)
{
    arb_t e, d;
    arb_init(e);
    arb_init(d);
    arb_set(e, x);
    const bool right = arf_sgn(arb_midref(x)) > 0;
    if (right) arb_neg(e, e); /* the exponential that cannot overflow */
    arb_exp(e, e, p);
    arb_add_ui(d, e, 1, p);
    if (right)
        arb_inv(y, d, p);
    else
        arb_div(y, e, d, p);
    arb_clear(e);
    arb_clear(d);
}

/* max(m, 0) + log1p(exp(-|m|)) */
static void softplus(arb_t y, const arb_t m, slong p)
{
    arb_t e;
    arb_init(e);
    arb_abs(e, m);
    arb_neg(e, e);
    arb_exp(e, e, p);
    arb_log1p(e, e, p);
    if (arf_sgn(arb_midref(m)) > 0)
        arb_add(y, m, e, p);
    else
        arb_set(y, e);
    arb_clear(e);
}

/* exp(-x^2/2) / sqrt(2 pi) */
static void normal_pdf(arb_t y, const arb_t x, slong p)
{
    arb_t c;
    arb_init(c);
    arb_const_pi(c, p);
    arb_mul_2exp_si(c, c, 1);
    arb_rsqrt(c, c, p);
    arb_sqr(y, x, p);
    arb_mul_2exp_si(y, y, -1);
    arb_neg(y, y);
    arb_exp(y, y, p);
    arb_mul(y, y, c, p);
    arb_clear(c);
}

/* erfc(-x / sqrt 2) / 2 */
static void normal_cdf(arb_t y, const arb_t x, slong p)
{
    arb_t c;
    arb_init(c);
    arb_sqrt_ui(c, 2, p);
    arb_div(c, x, c, p);
    arb_neg(c, c);
    arb_hypgeom_erfc(y, c, p);
    arb_mul_2exp_si(y, y, -1);
    arb_clear(c);
}

/* u = 2 sqrt(2/pi) (x + c x^3) and its derivative, c = 0.044715 = 8943/200000: (1 + tanh(u/2)) / 2 is sigmoid(u) */
static void tanh_argument(arb_t u, arb_t du, const arb_t x, slong p)
{
    arb_t c, x2;
    arb_init(c);
    arb_init(x2);
    arb_sqr(x2, x, p);
    arb_mul_ui(x2, x2, 8943, p);
    arb_div_ui(x2, x2, 200000, p);
    arb_const_pi(c, p);
    arb_ui_div(c, 2, c, p);
    arb_sqrt(c, c, p);
    arb_mul_2exp_si(c, c, 1);
    arb_mul_ui(du, x2, 3, p);
    arb_add_ui(du, du, 1, p);
    arb_mul(du, du, c, p);
    arb_add_ui(u, x2, 1, p);
    arb_mul(u, u, x, p);
    arb_mul(u, u, c, p);
    arb_clear(c);
    arb_clear(x2);
}

static void gelu_tanh(arb_t y, const arb_t x, slong p)
{
    arb_t u, du;
    arb_init(u);
    arb_init(du);
    tanh_argument(u, du, x, p);
    sigmoid(u, u, p);
    arb_mul(y, u, x, p);
    arb_clear(u);
    arb_clear(du);
}

static void relu(arb_t y, const arb_t x, slong p)
{
    if (arb_is_nonnegative(x)) {
        arb_set(y, x);
    } else if (arb_is_nonpositive(x)) {
        arb_zero(y);
    } else { /* [0, upper end] */
        arf_t zero, upper;
        arf_init(zero);
        arf_init(upper);
        arb_get_ubound_arf(upper, x, p);
        if (arf_is_nan(upper))
            arb_indeterminate(y);
        else
            arb_set_interval_arf(y, zero, upper, p);
        arf_clear(zero);
        arf_clear(upper);
    }
}

/* The step, with 0 at 0, and [0, 1] where the sign is not known. */
static void step(arb_t y, const arb_t x)
{
    if (arb_is_positive(x)) {
        arb_one(y);
    } else if (arb_is_nonpositive(x)) {
        arb_zero(y);
    } else {
        arb_one(y);
        arb_mul_2exp_si(y, y, -1);
        mag_set_d(arb_radref(y), 0.5);
    }
}

/* x log x for x >= 0, with 0 at 0: falling to -1/e at 1/e, rising beyond. */
static void xlogx(arb_t y, const arb_t x, slong p)
{
    if (arb_is_zero(x)) {
        arb_zero(y);
    } else if (arb_is_positive(x)) {
        arb_log(y, x, p);
        arb_mul(y, y, x, p);
    } else { /* [0, upper end]: between the least of this and 0, for an upper end below 1/e; else all values up to 1 */
        const double top = tape_upper_of(x);
        arb_zero(y);
        tape_grow(y, top < 0.3678 ? -top * log(fmax(top, 0x1p-1074)) : top < 1 ? 0.3679 : INFINITY);
    }
}

/* log x + 1; whoever has an x of 0 takes a finite number for it, or nothing. */
static void xlogx_slope(arb_t d, const arb_t x, slong p)
{
    if (arb_is_positive(x)) {
        arb_log(d, x, p);
        arb_add_ui(d, d, 1, p);
    } else {
        arb_zero(d);
        tape_grow(d, 746); /* log of the smallest subnormal is -744.4 */
    }
}

static bool beyond20(const arb_t x) { return arf_cmp_d(arb_midref(x), 20) > 0; }

static void value_at(tape_function f, arb_t y, const arb_t x, slong p)
{
    switch (f) {
    case TAPE_EXP:
        arb_exp(y, x, p);
        break;
    case TAPE_EXPM1:
        arb_expm1(y, x, p);
        break;
    case TAPE_LOG:
        arb_log(y, x, p);
        break;
    case TAPE_LOG1P:
        arb_log1p(y, x, p);
        break;
    case TAPE_TANH:
        arb_tanh(y, x, p);
        break;
    case TAPE_ERF:
        arb_hypgeom_erf(y, x, p);
        break;
    case TAPE_ERFC:
        arb_hypgeom_erfc(y, x, p);
        break;
    case TAPE_SQUARE:
        arb_sqr(y, x, p);
        break;
    case TAPE_RELU:
        relu(y, x, p);
        break;
    case TAPE_SIGMOID:
        sigmoid(y, x, p);
        break;
    case TAPE_SOFTPLUS:
        softplus(y, x, p);
        break;
    case TAPE_SOFTPLUS20:
        if (beyond20(x))
            arb_set(y, x);
        else
            softplus(y, x, p);
        break;
    case TAPE_SILU:
        sigmoid(y, x, p);
        arb_mul(y, y, x, p);
        break;
    case TAPE_GELU:
        normal_cdf(y, x, p);
        arb_mul(y, y, x, p);
        break;
    case TAPE_GELU_TANH:
        gelu_tanh(y, x, p);
        break;
    case TAPE_NORMAL_CDF:
        normal_cdf(y, x, p);
        break;
    case TAPE_NORMAL_PDF:
        normal_pdf(y, x, p);
        break;
    case TAPE_SQRT:
        arb_sqrtpos(y, x, p);
        break;
    case TAPE_XLOGX:
        xlogx(y, x, p);
        break;
    }
}

/* sigmoid(x) sigmoid(-x) */
static void sigmoid_slope(arb_t y, const arb_t x, slong p)
{
    arb_t s;
    arb_init(s);
    arb_neg(s, x);
    sigmoid(s, s, p);
    sigmoid(y, x, p);
    arb_mul(y, y, s, p);
    arb_clear(s);
}

static void erf_slope(arb_t d, const arb_t x, bool complement, slong p) /* +- 2/sqrt(pi) exp(-x^2) */
{
    arb_t c;
    arb_init(c);
    arb_const_pi(c, p);
    arb_rsqrt(c, c, p);
    arb_mul_si(c, c, complement ? -2 : 2, p);
    arb_sqr(d, x, p);
    arb_neg(d, d);
    arb_exp(d, d, p);
    arb_mul(d, d, c, p);
    arb_clear(c);
}

/* The product rule for x s(x), from s and its slope: d = s + x slope */
static void product_slope(arb_t d, const arb_t x, const arb_t s, const arb_t slope, slong p)
{
    arb_mul(d, slope, x, p);
    arb_add(d, d, s, p);
}

static void gate_slope(tape_function f, arb_t d, const arb_t x, slong p)
{
    arb_t s, slope, u, du;
    arb_init(s);
    arb_init(slope);
    arb_init(u);
    arb_init(du);
    if (f == TAPE_GELU) {
        normal_cdf(s, x, p);
        normal_pdf(slope, x, p);
    } else if (f == TAPE_SILU) {
        sigmoid(s, x, p);
        sigmoid_slope(slope, x, p);
    } else {
        tanh_argument(u, du, x, p);
        sigmoid(s, u, p);
        sigmoid_slope(slope, u, p);
        arb_mul(slope, slope, du, p);
    }
    product_slope(d, x, s, slope, p);
    arb_clear(s);
    arb_clear(slope);
    arb_clear(u);
    arb_clear(du);
}

static void slope_at(tape_function f, arb_t d, const arb_t x, slong p)
{
    switch (f) {
    case TAPE_EXP:
    case TAPE_EXPM1:
        arb_exp(d, x, p);
        break;
    case TAPE_LOG:
        arb_inv(d, x, p);
        break;
    case TAPE_LOG1P:
        arb_add_ui(d, x, 1, p);
        arb_inv(d, d, p);
        break;
    case TAPE_TANH:
        arb_sech(d, x, p);
        arb_sqr(d, d, p);
        break;
    case TAPE_ERF:
        erf_slope(d, x, false, p);
        break;
    case TAPE_ERFC:
        erf_slope(d, x, true, p);
        break;
    case TAPE_SQUARE:
        arb_mul_2exp_si(d, x, 1);
        break;
    case TAPE_RELU:
        step(d, x);
        break;
    case TAPE_SIGMOID:
        sigmoid_slope(d, x, p);
        break;
    case TAPE_SOFTPLUS:
        sigmoid(d, x, p);
        break;
    case TAPE_SOFTPLUS20:
        if (beyond20(x))
            arb_one(d);
        else
            sigmoid(d, x, p);
        break;
    case TAPE_SILU:
    case TAPE_GELU:
    case TAPE_GELU_TANH:
        gate_slope(f, d, x, p);
        break;
    case TAPE_NORMAL_CDF:
        normal_pdf(d, x, p);
        break;
    case TAPE_NORMAL_PDF:
        normal_pdf(d, x, p);
        arb_mul(d, d, x, p);
        arb_neg(d, d);
        break;
    case TAPE_SQRT:
        arb_rsqrt(d, x, p);
        arb_mul_2exp_si(d, d, -1);
        break;
    case TAPE_XLOGX:
        xlogx_slope(d, x, p);
        break;
    }
}

/* The largest slope anywhere, for the functions whose ball value is taken as f(centre) + radius sup|f'|; 0 for the
 * others. */
static double steepest(tape_function f)
{
    switch (f) {
    case TAPE_SIGMOID:
        return 0.25;
    case TAPE_SOFTPLUS:
    case TAPE_SOFTPLUS20:
        return 1;
    case TAPE_SILU:
        return 1.1; /* 1.0998... at x = 2.3994 */
    case TAPE_GELU:
    case TAPE_GELU_TANH:
        return 1.13; /* 1.1289... at x = sqrt 2; tanh form 1.1290 */
    case TAPE_NORMAL_CDF:
        return 0.4; /* 1/sqrt(2 pi) */
    case TAPE_NORMAL_PDF:
        return 0.25; /* 0.24197 at x = 1 */
    default:
        return 0;
    }
}

/* Mean value form: the ball that these formulas would give directly counts x's radius once for each appearance of x. */
static void evaluate(tape_function f, arb_t y, const arb_t x, slong p)
{
    const double steep = steepest(f);
    if (steep == 0 || arb_is_exact(x) || !arb_is_finite(x)) {
        value_at(f, y, x, p);
        return;
    }
    arb_t m, d;
    arb_init(m);
    arb_init(d);
    arb_get_mid_arb(m, x);
    value_at(f, y, m, p);
    slope_at(f, d, x, p);
    mag_t r, s;
    mag_init(r);
    mag_init(s);
    arb_get_mag(r, d);
    mag_set_d(s, steep);
    mag_min(r, r, s);
    mag_mul(r, r, arb_radref(x));
    arb_add_error_mag(y, r);
    mag_clear(r);
    mag_clear(s);
    arb_clear(m);
    arb_clear(d);
}

/* --- errors of implementations --- */

/* Inside the normal cdf, erf need only be right absolutely, within e: vectorised ones often use an approximation of
 * that kind (PyTorch's float32 GELU errs by 5 units near 0).  erf_argument: sup over |x| <= X of z erf'(z) at z = x /
 * sqrt 2, which is what a rounded argument does. */
static double erf_argument(double x) { return fmin(0.4852, 0.7979 * x); }

/* The same for tanh, of u = sqrt(2/pi) (x + 0.044715 x^3): |tanh u| and u (1 - tanh(u)^2). */
static double tanh_bound(double x) { return fmin(1, 0.7979 * (x + 0.044715 * x * x * x)); }

static double tanh_argument_bound(double x) { return fmin(0.448, 0.7979 * (x + 0.044715 * x * x * x)); }

/* Where an error is bounded: magnitudes of argument, value and derivative from above, sigmoid(x) from above, and
 * whether |x| is so large that every erf and tanh has saturated. */
typedef struct {
    double x, y, d, sigmoid;
    bool saturated;
} site;

static site site_of(arb_srcptr x, arb_srcptr y)
{
    mag_t low;
    mag_init(low);
    arb_get_mag_lower(low, x);
    const double top = arf_get_d(arb_midref(x), ARF_RND_UP) + mag_get_d(arb_radref(x));
    const site s = {tape_upper_of(x), tape_upper_of(y), 0, top > 700 ? 1 : 1.001 * exp(top) / (1 + exp(top)),
                    mag_cmp_2exp_si(low, 5) > 0};
    mag_clear(low);
    return s;
}

static double value_error(const tape *t, tape_function f, const site *s)
{
    const double w = t->w, e = t->e, x = s->x, y = s->y;
    switch (f) {
    case TAPE_SIGMOID:
        return (e + 2 * w) * y;
    case TAPE_SOFTPLUS:
    case TAPE_SOFTPLUS20:
        return (2 * e + w) * y;
    case TAPE_SILU:
        return (e + 3 * w) * y;
    case TAPE_GELU:
        if (s->saturated) return (e + 3 * w) * y;
        return 0.5 * x * (e + 2 * w * erf_argument(x) + 2 * w) + (e + 3 * w) * y;
    case TAPE_NORMAL_CDF:
        if (s->saturated) return (e + 2 * w) * y;
        return 0.5 * (e + 2 * w * erf_argument(x) + w) + (e + 2 * w) * y;
    case TAPE_GELU_TANH:
        if (s->saturated) return (e + 3 * w) * y;
        return 0.5 * x * ((e + w) * tanh_bound(x) + 6 * w * tanh_argument_bound(x) + w) + 3 * w * y;
    case TAPE_NORMAL_PDF:
        return y * (e + w * (1.5 * fmin(x, 40) * x + 4));
    case TAPE_XLOGX:
        return (e + 2 * w) * y;
    default:
        return e * y;
    }
}

/* (1 + tanh u)/2 + x/2 (1 - tanh(u)^2) u', each operation with its store; tanh u enters the second term as 1 - t^2 */
static double gelu_tanh_slope_error(const tape *t, const site *s)
{
    const double w = t->w, e = t->e, x = s->x, th = tanh_bound(x), du = 0.7979 * (1 + 0.1342 * x * x);
    const double et = (e + w) * th + 6 * w * tanh_argument_bound(x);
    return 0.5 * et + w + 0.5 * x * du * (2 * th * et + 2 * w) + 6 * w * (s->d + 1.2);
}

static double slope_error(const tape *t, tape_function f, const site *s)
{
    const double w = t->w, e = t->e, x = s->x, y = s->y, d = s->d, xpdf = fmin(0.3990 * x, 0.2420);
    switch (f) {
    case TAPE_EXPM1:
        return (e + w) * d + e * y; /* exp(x), or y + 1 */
    case TAPE_LOG:
    case TAPE_LOG1P:
        return 2 * w * d;
    case TAPE_TANH:
        return 2 * (e + w) * y * y + (e + 2 * w) * d;
    case TAPE_ERF:
    case TAPE_ERFC:
        return d * (e + w * (2 * fmin(x, 40) * x + 3));
    case TAPE_SIGMOID:
        return (2 * e + 5 * w) * d + (e + 2 * w) * y * y;
    case TAPE_SOFTPLUS:
    case TAPE_SOFTPLUS20:
        return (e + 3 * w) * d;
    case TAPE_SILU:
        return (e + 6 * w) * (1 + x) * s->sigmoid;
    case TAPE_GELU:
        if (s->saturated) return (e + 3 * w) * d;
        /* pdf as exp(-(x / sqrt 2)^2): the constant, the product and the square are 2.5 x^2 w of the exponential */
        return 0.5 * (e + 2 * w * erf_argument(x)) + w + (e + 6 * w) * xpdf + 2.5 * w * fmin(xpdf * x * x, 0.47) +
               2 * w * d; /* |x|^3 pdf(x) <= 0.4626 */
    case TAPE_GELU_TANH:
        return s->saturated ? (e + 6 * w) * d : gelu_tanh_slope_error(t, s);
    case TAPE_NORMAL_CDF: /* from erfc(-x / sqrt 2) / 2: as in GELU, and five products with constants and the cotangent */
        return d * (e + w * (2.5 * fmin(x, 40) * x + 6));
    case TAPE_NORMAL_PDF:
        return d * (e + w * (1.5 * fmin(x, 40) * x + 5));
    case TAPE_SQRT:
        return (e + 3 * w) * d; /* 1 / (2 y) */
    case TAPE_XLOGX: /* from the mean of logarithms too: the logarithm of how many they are, stored and subtracted */
        return (e + 8 * w) * (d + 2);
    default:
        return (e + w) * d;
    }
}

static bool arithmetic_only(tape_function f) { return f == TAPE_SQUARE || f == TAPE_RELU; }

/* What an underflow on the way is multiplied by, at most: x s(x) multiplies that of s by x, and so do slopes. */
static double lever(tape_function f, const site *s, bool slope)
{
    switch (f) {
    case TAPE_SILU:
    case TAPE_GELU:
    case TAPE_GELU_TANH:
        return (slope ? 4 : 2) * (1 + s->x);
    case TAPE_NORMAL_PDF:
    case TAPE_XLOGX:
        return slope ? 1 + s->x : 1;
    case TAPE_ERF:
    case TAPE_ERFC:
        return slope ? 2.2 : 1;
    default:
        return 1;
    }
}

/* 1 / (1 + exp(-x)) is 0 where exp(-x) overflows.  In a format whose least numbers are not as small as the reciprocal of its largest
 * (binary16) that is more than an underflow. */
static bool may_vanish(const tape *t, tape_function f, const site *s, bool slope)
{
    const double largest = fmin(t->profile->arithmetic.largest, t->profile->storage.largest);
    if (1 / largest <= t->floor) return false;
    switch (f) {
    case TAPE_SIGMOID:
    case TAPE_SILU:
        return s->sigmoid * largest <= 2;
    case TAPE_SOFTPLUS:
    case TAPE_SOFTPLUS20:
        return slope && s->sigmoid * largest <= 2;
    case TAPE_GELU_TANH: /* x sigmoid(2u) */
        return s->y * largest <= 2 * s->x;
    default:
        return false;
    }
}

static void round_value(const tape *t, tape_function f, arb_srcptr x, arb_t y)
{
    if (!t->profile || f == TAPE_RELU) return;
    if (f == TAPE_SQUARE) {
        tape_settle(t, y);
        return;
    }
    if (arb_is_exact(y) && (arb_is_zero(y) || arb_is_one(y))) return; /* exp(0), log(1), tanh(0), ... */
    const site s = site_of(x, y);
    tape_grow(y, value_error(t, f, &s) * (1 + 64 * t->e));
    tape_grow(y, t->floor * lever(f, &s, false));
    if (may_vanish(t, f, &s, false)) tape_grow(y, s.y);
    if (!(s.y <= fmin(t->profile->arithmetic.largest, t->profile->storage.largest))) mag_inf(arb_radref(y));
}

static void back_apply(tape *t, tape_node *y)
{
    const tape_function f = (tape_function)y->kind;
    arb_t d;
    arb_init(d);
    for (size_t i = 0; i < y->rows * y->cols; i++) {
        if (arb_is_zero(y->g + i)) continue;
        arb_srcptr x = y->a->v + i;
        slope_at(f, d, x, t->prec);
        if (t->profile && !arithmetic_only(f)) {
            site s = site_of(x, y->v + i);
            s.d = tape_upper_of(d);
            tape_grow(d, slope_error(t, f, &s) * (1 + 64 * t->e));
            tape_grow(d, t->floor * lever(f, &s, true));
            if (may_vanish(t, f, &s, true)) tape_grow(d, s.d);
        }
        arb_mul(d, d, y->g + i, t->prec);
        if (f != TAPE_RELU) tape_settle(t, d);
        if (f == TAPE_SQUARE && t->profile && !arb_is_exact(d))
            tape_grow(d, t->w * tape_upper_of(d)); /* g x + g x, or g (2 x) */
        tape_give(t, y->a, i, d);
    }
    arb_clear(d);
}

tape_node *tape_apply(tape *t, tape_function f, tape_node *a)
{
    tape_node *y = tape_make(t, a->rows, a->cols, a, NULL, back_apply);
    y->kind = (int)f;
    for (size_t i = 0; i < y->rows * y->cols; i++) {
        evaluate(f, y->v + i, a->v + i, t->prec);
        round_value(t, f, a->v + i, y->v + i);
    }
    return y;
}
