/* What a failing answer is: a known wrong variant of the equation, or the golden value times a simple factor; and which
 * variants the cases at hand would have exposed (see verdict.h). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verdict.h"

/* --- simple factors ------------------------------------------------------------------------------------------ */

static double size_of(const op_case *c, char letter)
{
    for (size_t i = 0; i < c->dims; i++)
        if (c->dim_name[i] == letter) return (double)c->dim_size[i];
    return NAN;
}

/* A factor is constant * (product of sizes) or constant / (product of sizes). */
static const struct {
    const char *name;
    double constant;
    const char *times, *over;
} factors[] = {
    {"0 (it was never computed)", 0, "", ""},
    {"-1", -1, "", ""},
    {"2", 2, "", ""},
    {"1/2", 0.5, "", ""},
    {"K", 1, "K", ""},
    {"1/K", 1, "", "K"},
    {"N", 1, "N", ""},
    {"1/N", 1, "", "N"},
    {"T", 1, "T", ""},
    {"1/T", 1, "", "T"},
    {"T*K", 1, "TK", ""},
    {"1/(T*K)", 1, "", "TK"},
    {"T*N", 1, "TN", ""},
    {"1/(T*N)", 1, "", "TN"},
    {"N/K", 1, "N", "K"},
    {"K/N", 1, "K", "N"},
    {"d", 1, "d", ""},
    {"1/d", 1, "", "d"},
    {"n", 1, "n", ""},
    {"1/n", 1, "", "n"},
};
_Static_assert(sizeof factors / sizeof *factors == VERDICT_FACTORS, "one bit of verdict_tensor.factors for each");

const char *verdict_factor(size_t i, const op_case *c, double *value)
{
    if (i >= VERDICT_FACTORS) return NULL;
    if (c && value) {
        *value = factors[i].constant;
        for (const char *p = factors[i].times; *p; p++) *value *= size_of(c, *p);
        for (const char *p = factors[i].over; *p; p++) *value /= size_of(c, *p);
    }
    return factors[i].name;
}

/* Does every failing element equal golden times f, within the bound that f scales? */
static bool explained_by(double f, const verdict_tensor *t, const tensor *got, const golden_tensor *g)
{
    if (!isfinite(f) || f == 1) return false;
    for (size_t e = 0; e < t->count; e++) {
        const double x = tensor_get(got, e);
        if (verdict_ratio(x, g->value[e], g->bound[e]) <= 1) continue;
        if (!(verdict_ratio(x, f * g->value[e], fmax(1, fabs(f)) * g->bound[e] + 0x1p-52 * fabs(x)) <= 1)) return false;
    }
    return true;
}

/* --- variants ------------------------------------------------------------------------------------------------ */

static const golden_tensor *reference(const verdict_golden *g, const verdict_tensor *t)
{
    return t->gradient ? &g->grad[t->slot] : &g->out[t->slot];
}

/* The worst ratio of one tensor under the variant; *tells is set if a failing element is one where the variant's ball
 * excludes the golden value, so that the match means something. */
static double tensor_under_variant(const verdict_tensor *t, const tensor *got, const golden_tensor *golden,
                                   const golden_tensor *variant, bool *tells)
{
    double worst = 0;
    for (size_t e = 0; e < t->count; e++) {
        const double x = tensor_get(got, e), ratio = verdict_ratio(x, variant->value[e], variant->bound[e]);
        if (!(ratio <= 1)) return INFINITY;
        if (ratio > worst) worst = ratio;
        *tells |= !(verdict_ratio(x, golden->value[e], golden->bound[e]) <= 1) &&
                  !(verdict_ratio(golden->value[e], variant->value[e], variant->bound[e]) <= 1);
    }
    return worst;
}

/* Is every row of the candidate's decision admissible on the variant's scores?  *tells if one is not so on the
 * equation's. */
static bool decision_under_variant(const op_case *c, const verdict_tensor *t, const golden_tensor *golden,
                                   const golden_tensor *variant, bool *tells)
{
    const op_value *o = &c->out[t->slot];
    const size_t K = o->rank > 0 ? o->dim[o->rank - 1] : 1, rows = K ? o->count / K : 0;
    const size_t N = rows ? golden->count / rows : 0;
    int64_t a, b;
    if (variant->count != golden->count) return t->outside == 0;
    for (size_t row = 0; row < rows; row++) {
        if (!verdict_admissible(variant, row, N, K, o->i64 + row * K, &a, &b)) return false;
        *tells |= !verdict_admissible(golden, row, N, K, o->i64 + row * K, &a, &b);
    }
    return true;
}

static bool integer_tensor(const op_case *c, const verdict_tensor *t) { return !t->gradient && c->out[t->slot].i64; }

/* The worst ratio of the whole answer under a variant, +inf if it is not that variant.  *tells as above. */
static double case_under_variant(const op_case *c, const verdict_case *v, const tensor_file *answer,
                                 const verdict_golden *equation, const verdict_golden *golden,
                                 const verdict_golden *variant, bool *tells)
{
    double worst = 0;
    for (size_t i = 0; i < v->tensors; i++) {
        const verdict_tensor *t = &v->t[i];
        if (!t->judged) continue;
        if (t->kind == OP_DECISION) {
            const golden_tensor *mine = &golden->score[t->slot], *other = &variant->score[t->slot];
            if (!decision_under_variant(c, t, mine, other, tells)) return INFINITY;
            continue;
        }
        const golden_tensor *w = reference(variant, t);
        if (integer_tensor(c, t) || w->count != t->count) { /* the variant says nothing about it: the equation does */
            if (!t->pass) return INFINITY;
            continue;
        }
        const tensor *got = tensor_file_find(answer, t->name);
        const double ratio = tensor_under_variant(t, got, reference(equation, t), w, tells);
        if (!(ratio <= 1)) return INFINITY;
        if (ratio > worst) worst = ratio;
    }
    return worst;
}

/* Those that tell come first, then the smaller ratio. */
static void add_match(verdict_case *v, verdict_match m)
{
    verdict_match *list = realloc(v->match, (v->matches + 1) * sizeof *list);
    if (!list) return;
    v->match = list;
    size_t at = v->matches++;
    for (; at > 0; at--) {
        const verdict_match *before = &list[at - 1];
        if (before->tells > m.tells || (before->tells == m.tells && before->ratio <= m.ratio)) break;
        list[at] = list[at - 1];
    }
    list[at] = m;
}

static bool has_failing_values(const verdict_case *v)
{
    for (size_t i = 0; i < v->tensors; i++)
        if (v->t[i].judged && !v->t[i].pass) return true;
    return false;
}

/* `equation` is what the answer was judged by: golden, or recomputed with its own decision. */
static int try_variants(const op_case *c, const verdict_golden *golden, const verdict_golden *equation,
                        const tensor_file *answer, const twin_profile *p, const bool *alive, verdict_case *v, char *err,
                        size_t errlen)
{
    for (size_t i = 0; twin_variants[i].op; i++) {
        if (strcmp(twin_variants[i].op, c->op->id) != 0 || (alive && !alive[i])) continue;
        verdict_golden variant;
        if (verdict_replay(c, p, twin_variants[i].name, &variant, err, errlen) != 0) return -1;
        verdict_match m = {.variant = &twin_variants[i]};
        m.ratio = case_under_variant(c, v, answer, equation, golden, &variant, &m.tells);
        if (m.ratio <= 1) add_match(v, m);
        verdict_golden_clear(&variant);
    }
    return 0;
}

static void try_factors(const op_case *c, const verdict_golden *equation, const tensor_file *answer, verdict_case *v)
{
    for (size_t i = 0; i < v->tensors; i++) {
        verdict_tensor *t = &v->t[i];
        t->factors = 0;
        if (!t->judged || t->pass || t->kind == OP_DECISION || integer_tensor(c, t)) continue;
        double f;
        for (size_t k = 0; verdict_factor(k, c, &f); k++)
            if (explained_by(f, t, tensor_file_find(answer, t->name), reference(equation, t))) t->factors |= 1U << k;
    }
}

int verdict_diagnose(op_case *c, const verdict_golden *g, const tensor_file *answer, const twin_profile *p,
                     const bool *alive, verdict_case *v, char *err, size_t errlen)
{
    verdict_golden replay;
    const verdict_golden *equation = g;
    memset(&replay, 0, sizeof replay);
    if (!answer || v->pass || !has_failing_values(v)) return 0;
    if (v->replayed) {
        if (verdict_replay(c, p, NULL, &replay, err, errlen) != 0) return -1;
        equation = &replay;
    }
    try_factors(c, equation, answer, v);
    const int status = try_variants(c, g, equation, answer, p, alive, v, err, errlen);
    verdict_golden_clear(&replay);
    return status;
}

/* --- power --------------------------------------------------------------------------------------------------- */

/* Some element's ball about the variant's value and ball about golden have no number in common. */
static bool disjoint(const golden_tensor *golden, const golden_tensor *variant)
{
    for (size_t e = 0; e < golden->count; e++)
        if (fabs(golden->value[e] - variant->value[e]) > golden->bound[e] + variant->bound[e]) return true;
    return false;
}

static bool told_apart(const op_case *c, const verdict_golden *g, const verdict_golden *variant)
{
    for (size_t i = 0; c->op->out[i].name; i++) {
        const golden_tensor *a = &g->out[i], *b = &variant->out[i];
        if (c->op->out[i].kind == OP_STAGE || !a->value || b->count != a->count) continue; /* a stage is not owed */
        if (disjoint(a, b)) return true;
    }
    for (size_t i = 0; c->op->in[i].name; i++) {
        const golden_tensor *a = &g->grad[i], *b = &variant->grad[i];
        if (a->value && b->count == a->count && disjoint(a, b)) return true;
    }
    return false;
}

int verdict_power(op_case *c, const verdict_golden *g, const twin_profile *p, bool *exposed, char *err, size_t errlen)
{
    for (size_t i = 0; c->op->out[i].name; i++)
        if (c->op->out[i].kind == OP_DECISION)
            memcpy(c->out[i].i64, g->out[i].index, g->out[i].count * sizeof *g->out[i].index);
    for (size_t i = 0; twin_variants[i].op; i++) {
        verdict_golden variant;
        if (exposed[i] || strcmp(twin_variants[i].op, c->op->id) != 0) continue;
        if (verdict_replay(c, p, twin_variants[i].name, &variant, err, errlen) != 0) return -1;
        exposed[i] = told_apart(c, g, &variant);
        verdict_golden_clear(&variant);
    }
    return 0;
}
