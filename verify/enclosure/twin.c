/* The twin's entry: one evaluation, and its results as doubles.  See twin.h. */
#include "twin_parts.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what chapters use --- */

void twin_fail(twin_eval *x, const char *what, const char *name)
{
    if (!x->failed) snprintf(x->err, x->errlen, "%s: %s '%s'", x->c->op->id, what, name);
    x->failed = true;
}

static size_t find(const op_tensor *t, const char *name)
{
    size_t i = 0;
    while (t[i].name && strcmp(t[i].name, name) != 0) i++;
    return i;
}

static size_t last_dimension(const op_value *v) { return v->rank ? v->dim[v->rank - 1] : 1; }

static size_t leading_dimensions(const op_value *v)
{
    size_t n = 1;
    for (size_t i = 0; i + 1 < v->rank; i++) n *= v->dim[i];
    return n;
}

static const twin_profile *gradient_profile(const twin_eval *x, const char *name)
{
    char gradient[80];
    snprintf(gradient, sizeof gradient, "d_%s", name);
    return twin_profile_of(x->profile, gradient);
}

static bool holds(const twin_format *f, const twin_format *g)
{
    return f->digits >= g->digits && f->largest >= g->largest && f->underflow <= g->underflow;
}

/* Does something in p store numbers that `kept` cannot hold? */
static bool others_store(const twin_profile *p, const twin_profile *kept)
{
    bool other = !holds(&kept->storage, &p->storage);
    for (const twin_profile *o = p->tensor; o->name; o++) other |= !holds(&kept->storage, &o->storage);
    return other;
}

tape_node *twin_in(twin_eval *x, const char *name)
{
    const size_t i = find(x->c->op->in, name);
    const op_value *v = &x->c->in[i];
    if (!x->c->op->in[i].name || !v->f64) {
        twin_fail(x, "the record has no input", name);
        return tape_fill(x->t, 1, 1, 0);
    }
    if (!x->in[i]) {
        x->in[i] =
            tape_leaf(x->t, leading_dimensions(v), last_dimension(v), v->f64, (x->c->op->in[i].flags & OP_DIFF) != 0);
        if (x->profile && x->profile->tensor) {
            const twin_profile *kept = gradient_profile(x, name);
            if (others_store(x->profile, kept) || kept != twin_profile_of(x->profile, name)) x->in[i]->stored = kept;
        }
    }
    return x->in[i];
}

void twin_out(twin_eval *x, const char *name, tape_node *y)
{
    const size_t i = find(x->c->op->out, name);
    if (!x->c->op->out[i].name)
        twin_fail(x, "the record has no output", name);
    else if (y->rows * y->cols != x->c->out[i].count)
        twin_fail(x, "the twin has another size for", name);
    else
        x->out[i] = y;
}

void twin_scores(twin_eval *x, const char *decision, tape_node *scores)
{
    const size_t i = find(x->c->op->out, decision);
    if (x->c->op->out[i].name)
        x->score[i] = scores;
    else
        twin_fail(x, "the record has no decision", decision);
}

tape_node *twin_numbers(twin_eval *x, size_t rows, size_t cols, const double *v)
{
    tape_node *y = tape_fill(x->t, rows, cols, 0);
    for (size_t i = 0; i < rows * cols; i++) arb_set_d(y->v + i, v[i]);
    return y;
}

bool twin_chose(const twin_eval *x, const char *param, const char *choice)
{
    const op_param *p = x->c->op->param;
    for (size_t i = 0; p && p[i].name; i++)
        if (strcmp(p[i].name, param) == 0) return p[i].type == OP_CHOICE && strcmp(x->c->choice[i], choice) == 0;
    return false;
}

/* The length of the first name of "A+B", and what comes after it. */
static size_t first_name(const char **names)
{
    const size_t n = strcspn(*names, "+");
    *names += n + ((*names)[n] == '+');
    return n;
}

bool twin_is(const twin_eval *x, const char *variant)
{
    for (const char *rest = x->variant; rest && *rest;) {
        const char *name = rest;
        const size_t n = first_name(&rest);
        if (strncmp(variant, name, n) == 0 && variant[n] == '\0') return true;
    }
    return false;
}

/* Makes index [T, K] the choice of this evaluation. */
static bool choose(twin_eval *x, const char *name, const int64_t *index, size_t T, size_t K, size_t N)
{
    free(x->choice.of);
    x->choice = (twin_choice){T, K, N, op_room(T * K, sizeof(size_t))};
    for (size_t i = 0; i < T * K; i++) {
        if (index[i] < 0 || (uint64_t)index[i] >= N) {
            if (!x->failed)
                snprintf(x->err, x->errlen, "%s: %s[%zu] is %lld, which is not one of %zu experts", x->c->op->id, name,
                         i, (long long)index[i], N);
            x->failed = true;
            return false;
        }
        x->choice.of[i] = (size_t)index[i];
    }
    return true;
}

bool twin_decide(twin_eval *x, const char *decision, size_t T, size_t K, size_t N)
{
    const size_t o = find(x->c->op->out, decision);
    if (x->c->op->out[o].name && x->c->out[o].i64 && x->c->out[o].count == T * K)
        return choose(x, decision, x->c->out[o].i64, T, K, N);
    twin_fail(x, "the case has no decision", decision);
    return false;
}

bool twin_given(twin_eval *x, const char *input, size_t T, size_t K, size_t N)
{
    const size_t i = find(x->c->op->in, input);
    if (x->c->op->in[i].name && x->c->in[i].i64 && x->c->in[i].count == T * K)
        return choose(x, input, x->c->in[i].i64, T, K, N);
    twin_fail(x, "the case has no indices", input);
    return false;
}

/* --- results --- */

/* The ball as hi + lo and a radius that covers what those leave over. */
static void to_doubles(arb_srcptr v, double *hi, double *lo, double *rad)
{
    *hi = *lo = 0;
    *rad = INFINITY;
    if (!arb_is_finite(v)) return;
    arf_t rest;
    mag_t r, m;
    arf_init(rest);
    mag_init(r);
    mag_init(m);
    *hi = arf_get_d(arb_midref(v), ARF_RND_NEAR);
    if (isfinite(*hi)) {
        arf_set_d(rest, *hi);
        arf_sub(rest, arb_midref(v), rest, ARF_PREC_EXACT, ARF_RND_DOWN);
        *lo = arf_get_d(rest, ARF_RND_NEAR);
        arf_t low;
        arf_init(low);
        arf_set_d(low, *lo);
        arf_sub(rest, rest, low, ARF_PREC_EXACT, ARF_RND_DOWN);
        arf_clear(low);
        arf_get_mag(m, rest);
        mag_add(r, arb_radref(v), m);
        /* mag_get_d() keeps 30 bits but gives up below 2^-1000 */
        *rad = mag_is_zero(r) ? 0 : mag_cmp_2exp_si(r, -1000) < 0 ? 0x1p-1000 : mag_get_d(r);
        if (mag_cmp_2exp_si(r, -1074) < 0 && !mag_is_zero(r)) *rad = 0x1p-1074;
    } else {
        *hi = 0;
    }
    arf_clear(rest);
    mag_clear(r);
    mag_clear(m);
}

static twin_tensor tensor_of(arb_srcptr v, size_t n)
{
    twin_tensor y = {n, op_room(n, sizeof(double)), op_room(n, sizeof(double)), op_room(n, sizeof(double))};
    for (size_t i = 0; v && i < n; i++) to_doubles(v + i, y.hi + i, y.lo + i, y.rad + i);
    return y;
}

static void collect(const twin_eval *x, twin_result *r)
{
    for (size_t i = 0; i < OP_TENSORS; i++) {
        if (x->out[i]) r->out[i] = tensor_of(x->out[i]->v, x->out[i]->rows * x->out[i]->cols);
        if (x->score[i]) r->score[i] = tensor_of(x->score[i]->v, x->score[i]->rows * x->score[i]->cols);
    }
    for (size_t i = 0; x->c->op->in[i].name; i++)
        if (x->c->op->in[i].flags & OP_DIFF) /* an input that the equation does not use has gradient 0 */
            r->grad[i] = tensor_of(x->in[i] ? tape_gradient(x->in[i]) : NULL, x->c->in[i].count);
}

static void clear_tensor(twin_tensor *y)
{
    free(y->hi);
    free(y->lo);
    free(y->rad);
    *y = (twin_tensor){0, NULL, NULL, NULL};
}

void twin_result_clear(twin_result *r)
{
    for (size_t i = 0; i < OP_TENSORS; i++) {
        clear_tensor(&r->out[i]);
        clear_tensor(&r->grad[i]);
        clear_tensor(&r->score[i]);
    }
}

/* --- one evaluation --- */

static const twin_entry *entry(const char *id)
{
    const twin_entry *const chapter[] = {twin_numerics, twin_expert, twin_gate,
                                         twin_layer,    twin_balance, twin_compete,
                                         twin_similarity, twin_simsmoe, twin_convergence};
    for (size_t i = 0; i < sizeof chapter / sizeof *chapter; i++)
        for (const twin_entry *e = chapter[i]; e->id; e++)
            if (strcmp(e->id, id) == 0) return e;
    return NULL;
}

static bool is_known(const char *op, const char *name, size_t n)
{
    for (const twin_variant *v = twin_variants; v->op; v++)
        if (strcmp(v->op, op) == 0 && strncmp(v->name, name, n) == 0 && v->name[n] == '\0') return true;
    return false;
}

static bool known_variants(const char *op, const char *names)
{
    if (*names == '\0' || names[strlen(names) - 1] == '+') return false;
    while (*names) {
        const char *name = names;
        const size_t n = first_name(&names);
        if (!is_known(op, name, n)) return false;
    }
    return true;
}

static void reverse(twin_eval *x)
{
    bool given = false;
    for (size_t i = 0; x->c->op->out[i].name; i++) {
        const op_value *cot = &x->c->cot[i];
        if (!x->out[i] || !(x->c->op->out[i].flags & OP_DIFF) || !cot->f64) continue;
        if (x->profile && x->profile->tensor) tape_use(x->t, gradient_profile(x, x->c->op->out[i].name));
        tape_seed(x->t, x->out[i], cot->f64);
        given = true;
    }
    if (given) tape_backward(x->t);
}

static twin_eval *eval_new(const op_case *c, const twin_profile *profile, const char *variant, long prec, char *err,
                           size_t errlen)
{
    twin_eval *x = op_room(1, sizeof *x);
    x->c = c;
    x->profile = profile;
    x->variant = variant;
    x->err = err;
    x->errlen = errlen;
    x->t = tape_new(profile, prec);
    return x;
}

static void eval_free(twin_eval *x)
{
    tape_free(x->t);
    free(x->choice.of);
    free(x);
}

static void name_node(tape_node *y)
{
    if (y) y->named = y->base->named = true;
}

static bool is_named(const tape_node *y) { return y->named || y->base->named; }

/* Which node is computed in what, by the nodes of x. */
static tape_plan *plan_of(const twin_eval *x)
{
    const op_record *op = x->c->op;
    tape_plan *plan = tape_plan_new(x->t);
    for (size_t i = 0; i < OP_TENSORS; i++) {
        name_node(x->in[i]);
        name_node(x->out[i]);
    }
    for (size_t i = 0; op->in[i].name; i++)
        if (x->in[i]) tape_plan_add(plan, x->in[i], twin_profile_of(x->profile, op->in[i].name));
    for (size_t i = 0; op->out[i].name; i++) {
        const twin_profile *p = twin_profile_of(x->profile, op->out[i].name);
        if (x->out[i]) tape_plan_add(plan, x->out[i], p);
        /* who says nothing of a decision takes it on what there is for the other outputs */
        if (x->score[i] && p != x->profile && !is_named(x->score[i])) tape_plan_add(plan, x->score[i], p);
    }
    return plan;
}

/* The forward with tensors that have roundoffs of their own: planned by an evaluation without a plan.  Where the roundoffs
 * themselves decide which nodes there are, it is planned again; in the end all nodes have the coarsest roundoffs. */
static twin_eval *forward_planned(const op_case *c, const twin_profile *profile, const char *variant, long prec,
                                  const twin_entry *e, tape_plan **plan, char *err, size_t errlen)
{
    enum { TRIALS = 4 };
    for (int trial = 0; trial <= TRIALS; trial++) {
        twin_eval *x = eval_new(c, profile, variant, prec, err, errlen);
        if (trial == TRIALS) tape_plan_level(*plan, profile);
        if (*plan) tape_follow(x->t, *plan);
        e->run(x);
        if (x->failed || trial == TRIALS || (*plan && tape_plan_fits(*plan, x->t))) return x;
        tape_plan *next = plan_of(x);
        tape_plan_free(*plan);
        *plan = next;
        eval_free(x);
    }
    return NULL;
}

int twin_run(const op_case *c, const twin_profile *profile, const char *variant, long prec, twin_result *r, char *err,
             size_t errlen)
{
    memset(r, 0, sizeof *r);
    const twin_entry *e = entry(c->op->id);
    if (!e) {
        snprintf(err, errlen, "%s has no twin", c->op->id);
        return -1;
    }
    if (variant && !known_variants(c->op->id, variant)) {
        snprintf(err, errlen, "%s has no variant '%s'", c->op->id, variant);
        return -1;
    }
    tape_plan *plan = NULL;
    twin_eval *x;
    if (profile && profile->tensor) {
        x = forward_planned(c, profile, variant, prec, e, &plan, err, errlen);
    } else {
        x = eval_new(c, profile, variant, prec, err, errlen);
        e->run(x);
    }
    if (!x->failed) {
        reverse(x);
        collect(x, r);
    }
    const int status = x->failed ? -1 : 0;
    eval_free(x);
    tape_plan_free(plan);
    return status;
}
