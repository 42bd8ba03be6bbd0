/* smoeref gradcheck: the reference's gradients, by methods that do not share their mistakes.
 *
 * f is the operation, w its cotangents, g = J^T w the gradient that the reference's vjp gives, v a random direction
 * whose entries are +-1 or +-1/2 times a power of two near the input's own magnitude.  delta is the displacement that
 * the inputs really make (x + h v rounded, minus x), so that no rounding of the inputs enters.
 *
 *   taylor   R(h) = <w, f(x + h v)> - <w, f(x)> - <g, delta>, f from the twin at 256 bits with the decisions held.
 *            With a right gradient R falls as h^2, with a wrong one as h: the slope between h = 2^-24 and 2^-30 must be
 *            1.9 or more.  Where the rounding of g alone (the twin's binary64 radius) explains R, that is enough, and
 *            the table says "rounding".
 *   adjoint  T(h) = <w, f(x + h v) - f(x - h v)> - <g, delta_+ - delta_->, f the reference's own forward in binary64:
 *            the identity <w, J v> = <J^T w, v> by a central difference.  Its truncation falls as h^3, a wrong gradient
 *            as h: |T(h)| <= |T(2h)| / 4 + rounding, where rounding = sum |w| r_f + sum r_g |delta| over both sides, r
 *            the twin's binary64 radii.  h = 2^-17, and 2^-21 and 2^-25 where a kink or a decision is nearer than that.
 *   twin     the gradient of the twin's reverse mode encloses g within the rounding of binary64; the distance is also
 *            given in ulp of the tensor's largest element, for information.
 *
 * At a kink (a ReLU at exactly 0) f has no derivative, and neither taylor nor adjoint can ask for one.  "kink" in the
 * table: the twin's own gradient jumps between x and x + h v, and what is left over is no more than that jump.
 *
 * A detached value (detach=yes, or another parameter of such a name) is a constant in g but not in f, so what is asked for
 * is no derivative of f.  Both methods then take the case with nothing detached; the table marks it with a star.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <mpfr.h>

#include "cmd.h"
#include "twin.h"

enum { OPTION_SUITE, OPTION_SEED, OPTION_JSON, OPTION_JOBS, OPTION_BREAK };
static const cli_option options[] = {
    [OPTION_SUITE] = {"--suite", "SUITE,...", "smoke, core, adversarial, large (default core; may be repeated)"},
    [OPTION_SEED] = {"--seed", "S", "of the random inputs and directions (default 1)"},
    [OPTION_JSON] = {"--json", NULL, "the table for programs"},
    [OPTION_JOBS] = {"--jobs", "N", "processes (default: one for each processor)"},
    [OPTION_BREAK] = {"--break", "EPS", NULL}, /* the negative control: spoils an element of the gradient by that */
    {NULL, NULL, NULL},
};
static const cli_command command = {
    "gradcheck",
    "[OP ...] [--suite SUITE,...] [--seed S] [--json] [--jobs N]",
    "Checks the reference's own gradients on its own cases by three methods: the slope of the Taylor remainder "
    "against\n"
    "a 256-bit forward, the adjoint identity by a central difference, and the reverse mode of the independent twin.",
    options,
};

static const long bits = 256;

typedef enum { METHOD_NONE, METHOD_PASSED, METHOD_KINK, METHOD_FAILED } method;

typedef struct {
    method taylor, adjoint, twin;
    double slope; /* NaN: the remainder is rounding */
    double error, tolerance; /* of the adjoint identity, relative to sum |g delta| */
    double ulp, ratio; /* worst distance from the twin, and worst part of its binary64 radius */
    bool opened; /* taylor and adjoint with detach=no */
    char fault[200]; /* why nothing could be checked, or "" */
} outcome;

typedef struct {
    const op_record *op;
    const op_spec *spec;
} item;

typedef struct {
    item *items;
    size_t count;
    outcome *result;
    uint64_t seed;
    double spoil; /* --break */
} checks;

/* One case on the bench. */
typedef struct {
    const op_spec *spec;
    op_case *base, *moved; /* x with its gradient; x + h v */
    double *v[OP_TENSORS]; /* the direction, by input */
    twin_result exact, f64; /* at x */
    double size; /* sum |w| (|f(x)| + 2^-20): as h v is relative to x, what a change is compared with */
    outcome *out;
} bench;

/* --- pieces ------------------------------------------------------------------------------------------------------ */

static bool differentiable(const op_record *op)
{
    bool in = false, out = false;
    for (const op_tensor *t = op->in; t->name; t++) in = in || (t->flags & OP_DIFF);
    for (const op_tensor *t = op->out; t->name; t++) out = out || (t->flags & OP_DIFF);
    return in && out && op->vjp;
}

static double power_near(double x)
{
    int e;
    if (x == 0) return 1;
    frexp(x, &e);
    return ldexp(1, e - 1);
}

static bool draw_direction(bench *b, uint64_t seed)
{
    char stream[200];
    snprintf(stream, sizeof stream, "%s/%s/direction", b->base->op->id, b->spec->name);
    op_rng *r = op_rng_new(seed, stream);
    bool whole = true;
    for (size_t i = 0; b->base->op->in[i].name; i++) {
        const op_value *x = &b->base->in[i];
        if (!(b->base->op->in[i].flags & OP_DIFF)) continue;
        b->v[i] = calloc(x->count ? x->count : 1, sizeof *b->v[i]);
        whole = whole && b->v[i];
        for (size_t j = 0; b->v[i] && j < x->count; j++) {
            const double size = power_near(x->f64[j]) * (op_below(r, 2) ? 1 : 0.5);
            b->v[i][j] = op_below(r, 2) ? size : -size;
        }
    }
    op_rng_free(r);
    return whole;
}

/* moved = x + h v, with the decisions of x for the twin to read. */
static void move(bench *b, double h)
{
    for (size_t i = 0; b->base->op->in[i].name; i++)
        for (size_t j = 0; j < b->base->in[i].count; j++) {
            if (b->base->in[i].i64) {
                b->moved->in[i].i64[j] = b->base->in[i].i64[j];
                continue;
            }
            b->moved->in[i].f64[j] = b->base->in[i].f64[j] + (b->v[i] ? h * b->v[i][j] : 0);
        }
    for (size_t i = 0; b->base->op->out[i].name; i++)
        if (b->base->out[i].i64)
            memcpy(b->moved->out[i].i64, b->base->out[i].i64, b->base->out[i].count * sizeof(int64_t));
}

static double displacement(const bench *b, size_t i, size_t j)
{
    return b->moved->in[i].f64[j] - b->base->in[i].f64[j];
}

static bool same_decisions(const op_case *a, const op_case *b)
{
    for (size_t i = 0; a->op->out[i].name; i++)
        if (a->out[i].i64 && memcmp(a->out[i].i64, b->out[i].i64, a->out[i].count * sizeof(int64_t)) != 0) return false;
    return true;
}

static void fma_into(mpfr_t sum, mpfr_t work, double a, double b)
{
    mpfr_set_d(work, a, MPFR_RNDN);
    mpfr_mul_d(work, work, b, MPFR_RNDN);
    mpfr_add(sum, sum, work, MPFR_RNDN);
}

/* sum |g_i delta_i| and sum r_i |delta_i| at moved. */
static void gradient_scale(const bench *b, double *scale, double *rounding)
{
    *scale = *rounding = 0;
    for (size_t i = 0; b->base->op->in[i].name; i++) {
        for (size_t j = 0; b->v[i] && j < b->base->grad[i].count; j++) {
            const double d = fabs(displacement(b, i, j));
            *scale += fabs(b->base->grad[i].f64[j]) * d;
            if (d > 0) *rounding += b->f64.grad[i].rad[j] * d;
        }
    }
}

/* --- taylor ------------------------------------------------------------------------------------------------------ */

/* <w, f(x + h v)> - <w, f(x)> from the twin; *noise: what its radii and its centres' 106 bits leave open. */
static void output_change(const bench *b, const twin_result *r, mpfr_t sum, mpfr_t work, double *noise)
{
    for (size_t i = 0; b->base->op->out[i].name; i++) {
        if (!(b->base->op->out[i].flags & OP_DIFF)) continue;
        for (size_t j = 0; j < b->base->cot[i].count; j++) {
            const double w = b->base->cot[i].f64[j];
            fma_into(sum, work, r->out[i].hi[j], w);
            fma_into(sum, work, r->out[i].lo[j], w);
            fma_into(sum, work, b->exact.out[i].hi[j], -w);
            fma_into(sum, work, b->exact.out[i].lo[j], -w);
            *noise += fabs(w) * (r->out[i].rad[j] + b->exact.out[i].rad[j] + 0x1p-100 * fabs(r->out[i].hi[j]));
        }
    }
}

/* |R(h)|, and what of it may be rounding.  False if the twin cannot evaluate f(x + h v). */
static bool remainder_at(bench *b, double h, double *remainder, double *floor, double *scale)
{
    char err[200];
    twin_result r = {0};
    double rounding, noise = 0;
    move(b, h);
    if (twin_run(b->moved, NULL, NULL, bits, &r, err, sizeof err) != 0) return false;
    mpfr_t sum, work;
    mpfr_init2(sum, 2300); /* sums of products of doubles are exact */
    mpfr_init2(work, 2300);
    mpfr_set_zero(sum, 1);
    output_change(b, &r, sum, work, &noise);
    for (size_t i = 0; b->base->op->in[i].name; i++)
        for (size_t j = 0; b->v[i] && j < b->base->grad[i].count; j++)
            fma_into(sum, work, -b->base->grad[i].f64[j], displacement(b, i, j));
    *remainder = fabs(mpfr_get_d(sum, MPFR_RNDN));
    mpfr_clear(sum);
    mpfr_clear(work);
    twin_result_clear(&r);
    gradient_scale(b, scale, &rounding);
    *floor = noise + rounding;
    return isfinite(*remainder);
}

/* How much the twin's gradient changes between x and x + h v, as a part of a remainder: O(h^2) unless there is a kink.
 * At a kink a right gradient leaves a remainder of no more than that.  0 if it is no jump. */
static double jump_at(bench *b, double h)
{
    char err[200];
    twin_result r = {0};
    double jump = 0, scale, unused;
    move(b, h);
    if (twin_run(b->moved, NULL, NULL, bits, &r, err, sizeof err) != 0) return 0;
    for (size_t i = 0; b->base->op->in[i].name; i++)
        for (size_t j = 0; b->v[i] && j < b->base->grad[i].count; j++)
            jump += fabs(r.grad[i].hi[j] - b->exact.grad[i].hi[j]) * fabs(displacement(b, i, j));
    twin_result_clear(&r);
    gradient_scale(b, &scale, &unused);
    return jump > 0x1p-16 * (scale + fabs(h) * b->size) ? jump : 0;
}

static void check_taylor(bench *b)
{
    double wide, fine, floor, scale;
    b->out->taylor = METHOD_NONE;
    if (!remainder_at(b, 0x1p-24, &wide, &floor, &scale) || !remainder_at(b, 0x1p-30, &fine, &floor, &scale)) return;
    if (fine <= floor) {
        b->out->taylor = floor > 0x1p-20 * (scale + 0x1p-30 * b->size) ? METHOD_KINK : METHOD_PASSED;
        return;
    }
    b->out->slope = log2(wide / fine) / 6;
    b->out->taylor = b->out->slope >= 1.9 ? METHOD_PASSED : METHOD_FAILED;
    if (b->out->taylor == METHOD_FAILED && fine <= jump_at(b, 0x1p-30) + floor) b->out->taylor = METHOD_KINK;
}

/* --- adjoint ----------------------------------------------------------------------------------------------------- */

/* T(h) and its rounding, with the reference's own forward.  False if it refuses, or takes other decisions. */
static bool central(bench *b, double h, double *T, double *rounding, double *scale)
{
    mpfr_t sum, work;
    bool usable = true;
    *rounding = *scale = 0;
    mpfr_init2(sum, 2300);
    mpfr_init2(work, 2300);
    mpfr_set_zero(sum, 1);
    for (int side = 1; side >= -1 && usable; side -= 2) {
        double part, part_rounding;
        move(b, side * h);
        usable = b->moved->op->forward(b->moved) == SMOE_OK && same_decisions(b->base, b->moved);
        gradient_scale(b, &part, &part_rounding);
        *scale += part;
        *rounding += part_rounding;
        for (size_t i = 0; b->base->op->out[i].name && usable; i++) {
            for (size_t j = 0; j < b->base->cot[i].count; j++) {
                fma_into(sum, work, b->moved->out[i].f64[j], side * b->base->cot[i].f64[j]);
                *rounding += fabs(b->base->cot[i].f64[j]) * b->f64.out[i].rad[j];
            }
        }
        for (size_t i = 0; b->base->op->in[i].name && usable; i++)
            for (size_t j = 0; b->v[i] && j < b->base->grad[i].count; j++)
                fma_into(sum, work, -side * b->base->grad[i].f64[j], displacement(b, i, j));
    }
    *T = fabs(mpfr_get_d(sum, MPFR_RNDN));
    mpfr_clear(sum);
    mpfr_clear(work);
    return usable && isfinite(*T);
}

/* sum |w| r_f at x + h v: more than at x, where crafted inputs make every result exact. */
static double output_rounding(bench *b, double h)
{
    char err[200];
    twin_result r = {0};
    double rounding = 0;
    move(b, h);
    if (twin_run(b->moved, twin_profile_find("f64"), NULL, bits, &r, err, sizeof err) != 0) return 0;
    for (size_t i = 0; b->base->op->out[i].name; i++)
        for (size_t j = 0; b->base->cot[i].f64 && j < b->base->cot[i].count; j++)
            rounding += fabs(b->base->cot[i].f64[j]) * r.out[i].rad[j];
    twin_result_clear(&r);
    return rounding;
}

static void check_adjoint(bench *b)
{
    b->out->adjoint = METHOD_NONE;
    for (int e = -17; e >= -25 && b->out->adjoint != METHOD_PASSED && b->out->adjoint != METHOD_KINK; e -= 4) {
        double near, far, rounding, unused, scale;
        if (!central(b, ldexp(2, e), &far, &unused, &scale) || !central(b, ldexp(1, e), &near, &rounding, &scale))
            continue;
        double tolerance = far / 4 + rounding;
        if (near > tolerance) tolerance += output_rounding(b, ldexp(1, e)) + output_rounding(b, ldexp(-1, e));
        scale += ldexp(2, e) * b->size;
        b->out->error = scale > 0 ? near / scale : near;
        b->out->tolerance = scale > 0 ? tolerance / scale : tolerance;
        b->out->adjoint = near <= tolerance ? METHOD_PASSED : METHOD_FAILED;
        if (b->out->adjoint == METHOD_PASSED && b->out->tolerance > 0x1p-10) b->out->adjoint = METHOD_KINK;
        if (b->out->adjoint == METHOD_FAILED && near <= jump_at(b, ldexp(1, e)) + jump_at(b, ldexp(-1, e)) + tolerance)
            b->out->adjoint = METHOD_KINK;
    }
}

/* --- twin -------------------------------------------------------------------------------------------------------- */

static double ulp_of(double x)
{
    int e;
    frexp(x, &e);
    return ldexp(1, (x == 0 || e < DBL_MIN_EXP ? DBL_MIN_EXP : e) - DBL_MANT_DIG);
}

static void check_twin(bench *b)
{
    /* A case is checked again for each thing that is detached. */
    if (b->out->twin != METHOD_FAILED) b->out->twin = METHOD_PASSED;
    for (size_t i = 0; b->base->op->in[i].name; i++) {
        const twin_tensor *exact = &b->exact.grad[i], *f64 = &b->f64.grad[i];
        double largest = 0, radius = 0;
        for (size_t j = 0; b->v[i] && j < exact->count; j++) {
            largest = fmax(largest, fabs(exact->hi[j]));
            radius = fmax(radius, f64->rad[j]);
        }
        for (size_t j = 0; b->v[i] && j < b->base->grad[i].count; j++) {
            const double g = b->base->grad[i].f64[j];
            /* a gradient that is 0 but for rounding has no ulp to count in */
            const double ulp = largest > radius ? fabs(exact->hi[j] - g + exact->lo[j]) / ulp_of(largest) : 0;
            const double off = fabs(f64->hi[j] - g + f64->lo[j]) * (1 - 0x1p-50), rad = f64->rad[j];
            const double ratio = off == 0 ? 0 : off / rad;
            if (!(ulp <= b->out->ulp)) b->out->ulp = ulp;
            if (!(ratio <= b->out->ratio)) b->out->ratio = ratio;
        }
    }
    if (!(b->out->ratio <= 1)) b->out->twin = METHOD_FAILED;
}

/* --- one case ---------------------------------------------------------------------------------------------------- */

/* Adds eps times itself to the largest element of the gradient, or eps if the gradient is 0 (but for rounding). */
static void spoil(op_case *c, double eps)
{
    double *worst = NULL;
    for (size_t i = 0; c->op->in[i].name; i++)
        for (size_t j = 0; c->grad[i].f64 && j < c->grad[i].count; j++)
            if (!worst || fabs(c->grad[i].f64[j]) > fabs(*worst)) worst = &c->grad[i].f64[j];
    if (worst) *worst += fabs(*worst) < 0x1p-40 ? eps : eps * *worst;
}

static bool twins_complete(const bench *b, char *err, size_t errlen)
{
    const op_record *op = b->base->op;
    for (size_t i = 0; op->out[i].name; i++)
        if ((op->out[i].flags & OP_DIFF) && b->exact.out[i].count != b->base->out[i].count) {
            snprintf(err, errlen, "the twin does not compute %s", op->out[i].name);
            return false;
        }
    for (size_t i = 0; op->in[i].name; i++)
        if ((op->in[i].flags & OP_DIFF) && b->exact.grad[i].count != b->base->grad[i].count) {
            snprintf(err, errlen, "the twin does not compute d_%s", op->in[i].name);
            return false;
        }
    return true;
}

static bool prepare(bench *b, const op_record *op, const checks *all, char *err, size_t errlen)
{
    b->base = op_case_from_spec(op, b->spec, all->seed, err, errlen);
    b->moved = b->base ? op_case_new(op, b->spec->dims, b->spec->set, err, errlen) : NULL;
    if (!b->moved) return false;
    const smoe_status s = op_run(b->base);
    if (s != SMOE_OK) {
        snprintf(err, errlen, "%s", smoe_strerror(s));
        return false;
    }
    if (all->spoil != 0) spoil(b->base, all->spoil);
    for (size_t i = 0; op->out[i].name; i++)
        if (b->base->cot[i].f64)
            memcpy(b->moved->cot[i].f64, b->base->cot[i].f64, b->base->cot[i].count * sizeof(double));
    if (!draw_direction(b, all->seed)) {
        snprintf(err, errlen, "out of memory");
        return false;
    }
    for (size_t i = 0; op->out[i].name; i++)
        for (size_t j = 0; b->base->cot[i].f64 && j < b->base->cot[i].count; j++)
            b->size += fabs(b->base->cot[i].f64[j]) * (fabs(b->base->out[i].f64[j]) + 0x1p-20);
    const twin_profile *f64 = twin_profile_find("f64");
    return twin_run(b->base, NULL, NULL, bits, &b->exact, err, errlen) == 0 &&
           twin_run(b->base, f64, NULL, bits, &b->f64, err, errlen) == 0 && twins_complete(b, err, errlen);
}

/* The parameters of a case with one thing fewer detached; false if nothing is. */
static bool open_case(const op_case *c, const char *set, char opened[200])
{
    char yes[64];
    const op_param *p = c->op->param;
    while (p && p->name && (strncmp(p->name, "detach", 6) != 0 || !op_is(c, p->name, "yes"))) p++;
    if (!p || !p->name) return false;
    snprintf(yes, sizeof yes, "%s=yes", p->name);
    const char *at = strstr(set, yes);
    if (at)
        snprintf(opened, 200, "%.*s%s=no%s", (int)(at - set), set, p->name, at + strlen(yes));
    else
        snprintf(opened, 200, "%s%s%s=no", set, *set ? "," : "", p->name);
    return true;
}

static void free_bench(bench *b)
{
    for (size_t i = 0; i < OP_TENSORS; i++) free(b->v[i]);
    twin_result_clear(&b->exact);
    twin_result_clear(&b->f64);
    op_case_free(b->base);
    op_case_free(b->moved);
}

static void check_all(const item *it, const checks *all, const char *opened, outcome *out)
{
    op_spec spec = *it->spec;
    if (opened) spec.set = opened;
    bench b = {.spec = &spec, .out = out};
    char next[200] = "";
    bool again = false;
    if (prepare(&b, it->op, all, out->fault, sizeof out->fault)) {
        check_twin(&b);
        again = open_case(b.base, spec.set, next);
        if (!again) check_taylor(&b);
        if (!again) check_adjoint(&b);
    }
    free_bench(&b);
    out->opened = opened != NULL;
    if (again) check_all(it, all, next, out);
}

static int check_case(void *context, size_t i, char message[JOB_MESSAGE])
{
    const checks *all = context;
    (void)message;
    all->result[i].slope = NAN;
    check_all(&all->items[i], all, NULL, &all->result[i]);
    mpfr_free_cache();
    return 0;
}

/* --- the table --------------------------------------------------------------------------------------------------- */

static bool passed(const outcome *o)
{
    return !o->fault[0] && o->taylor != METHOD_FAILED && o->adjoint != METHOD_FAILED && o->twin == METHOD_PASSED;
}

static void print_row(const item *it, const outcome *o, const char *red, const char *plain)
{
    char name[200], slope[16], adjoint[40];
    snprintf(name, sizeof name, "%s.%s", it->op->id, it->spec->name);
    if (o->fault[0]) {
        printf("%-44s %sFAILED%s  %s\n", name, red, plain, o->fault);
        return;
    }
    snprintf(slope, sizeof slope, o->taylor == METHOD_NONE ? "n/a" : o->taylor == METHOD_KINK ? "kink" : "rounding");
    if (!isnan(o->slope) && o->taylor != METHOD_KINK) snprintf(slope, sizeof slope, "%.2f", o->slope);
    snprintf(adjoint, sizeof adjoint, "n/a");
    if (o->adjoint != METHOD_NONE) snprintf(adjoint, sizeof adjoint, "%.1e < %.1e", o->error, o->tolerance);
    if (o->adjoint == METHOD_FAILED) adjoint[strcspn(adjoint, "<")] = '>';
    if (o->adjoint == METHOD_KINK) snprintf(adjoint, sizeof adjoint, "kink");
    printf("%-44s %9s%s %-17s %9.2g %9.2g  %s%s%s\n", name, slope, o->opened ? "*" : " ", adjoint, o->ratio, o->ulp,
           passed(o) ? "" : red, passed(o) ? "ok" : "FAILED", plain);
}

static size_t print_table(const checks *all)
{
    const bool colour = cli_colour(stdout);
    size_t failed = 0, opened = 0;
    printf("%-44s %9s  %-17s %9s %9s\n", "case", "taylor", "adjoint", "of bound", "ulp");
    for (size_t i = 0; i < all->count; i++) {
        print_row(&all->items[i], &all->result[i], colour ? "\033[31m" : "", colour ? "\033[0m" : "");
        failed += !passed(&all->result[i]);
        opened += all->result[i].opened;
    }
    if (opened)
        printf("* taylor and adjoint with nothing detached: a detached value makes the gradient no derivative\n");
    printf("%zu gradients: %zu passed, %zu failed\n", all->count, all->count - failed, failed);
    return failed;
}

static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static size_t print_json(const checks *all)
{
    static const char *const word[] = {"not applicable", "passed", "kink", "failed"};
    json_t *list = json_array();
    size_t failed = 0;
    for (size_t i = 0; i < all->count; i++) {
        const outcome *o = &all->result[i];
        failed += !passed(o);
        json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:b, s:s, s:s, s:o, s:s, s:o, s:o, s:s, s:o, s:o}", "op",
                                              all->items[i].op->id, "case", all->items[i].spec->name, "pass", passed(o),
                                              "opened", o->opened, "fault", o->fault, "taylor", word[o->taylor],
                                              "slope", number(o->slope), "adjoint", word[o->adjoint], "error",
                                              number(o->error), "tolerance", number(o->tolerance), "twin",
                                              word[o->twin], "ulp", number(o->ulp), "ratio", number(o->ratio)));
    }
    char *text = json_dumps(list, JSON_INDENT(1));
    if (text) puts(text);
    free(text);
    json_decref(list);
    return failed;
}

/* --- the command ------------------------------------------------------------------------------------------------- */

static int collect(checks *all, op_list *ops, const name_list *suites)
{
    cli_sort_ops(ops);
    for (size_t i = 0; i < ops->count; i++) {
        if (!differentiable(ops->op[i])) continue;
        for (const op_spec *s = ops->op[i]->cases; s && s->name; s++) {
            if (!cli_in_suites(suites, s)) continue;
            item *grown = realloc(all->items, (all->count + 1) * sizeof *grown);
            if (!grown) return cli_input("out of memory");
            all->items = grown;
            all->items[all->count++] = (item){ops->op[i], s};
        }
    }
    return all->count ? 0 : cli_usage(&command, "there is no differentiable case of these operations and suites");
}

static int run(checks *all, int jobs, bool json)
{
    int signal_number;
    all->result = jobs_share(all->count * sizeof *all->result);
    if (!all->result) return cli_input("out of memory");
    int status = jobs_run(jobs, all->count, "gradcheck", check_case, all, &signal_number);
    if (status < 0) jobs_die(signal_number);
    for (size_t i = 0; i < all->count && status == 0; i++)
        if (cli_no_memory(all->result[i].fault))
            status = cli_input("%s.%s: %s", all->items[i].op->id, all->items[i].spec->name, all->result[i].fault);
    if (status == 0 && (json ? print_json(all) : print_table(all)) > 0) status = STATUS_FAIL;
    jobs_unshare(all->result, all->count * sizeof *all->result);
    return status;
}

int cmd_gradcheck(int argc, char **argv)
{
    cli p = cli_start(&command, argc, argv);
    checks all = {.seed = 1};
    op_list ops = {.count = 0};
    name_list suites = {.count = 0};
    bool json = false;
    int jobs = 0, status = 0;
    const char *value;
    for (int o; status == 0 && (o = cli_next(&p, &value)) != CLI_END;) {
        switch (o) {
        case CLI_STOP:
            return p.status;
        case OPTION_JSON:
            json = true;
            break;
        case OPTION_BREAK:
            all.spoil = strtod(value, NULL);
            break;
        case OPTION_JOBS:
            status = cli_parse_jobs(&command, &jobs, value);
            break;
        case OPTION_SUITE:
            status = cli_parse_suites(&command, &suites, value);
            break;
        case OPTION_SEED:
            if (!cli_parse_seed(value, &all.seed))
                status = cli_usage(&command, "--seed is '%.40s', expected a number from 0 to 2^53 - 1", value);
            break;
        default:
            status = cli_add_ops(&command, &ops, value);
        }
    }
    if (suites.count == 0) suites = (name_list){.name = {"core"}, .count = 1};
    if (status == 0) status = collect(&all, &ops, &suites);
    if (status == 0) status = run(&all, jobs, json);
    free(all.items);
    return status;
}
