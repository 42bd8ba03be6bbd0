/* What a failing answer is: a known wrong variant of the equation, or the golden value times a simple factor; and which
 * variants the cases at hand would have exposed (see verdict.h). */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose_parts.h"
#include "verdict_parts.h"

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
    {"0", 0, "", ""},         {"-1", -1, "", ""},       {"2", 2, "", ""},     {"1/2", 0.5, "", ""},
    {"K", 1, "K", ""},        {"1/K", 1, "", "K"},      {"N", 1, "N", ""},    {"1/N", 1, "", "N"},
    {"T", 1, "T", ""},        {"1/T", 1, "", "T"},      {"T*K", 1, "TK", ""}, {"1/(T*K)", 1, "", "TK"},
    {"T*N", 1, "TN", ""},     {"1/(T*N)", 1, "", "TN"}, {"N/K", 1, "N", "K"}, {"K/N", 1, "K", "N"},
    {"d", 1, "d", ""},        {"1/d", 1, "", "d"},      {"n", 1, "n", ""},    {"1/n", 1, "", "n"},
    {"1/(N*N)", 1, "", "NN"},
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

const golden_tensor *diagnose_reference(const verdict_golden *g, const verdict_tensor *t)
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

static bool admits(const golden_tensor *score, size_t row, size_t N, size_t K, const int64_t *index)
{
    int64_t taken, left;
    return verdict_admissible(score, row, N, K, index, &taken, &left);
}

/* Is every row of the candidate's decision admissible on the variant's scores?  *tells if one is not so on the
 * equation's. */
static bool decision_under_variant(const op_case *c, const verdict_tensor *t, const golden_tensor *golden,
                                   const golden_tensor *variant, bool *tells)
{
    const op_value *o = &c->out[t->slot];
    const size_t K = verdict_row_length(o), N = verdict_experts(c), rows = verdict_rows(o);
    if (variant->count != golden->count) return t->outside == 0;
    for (size_t row = 0; row < rows; row++) {
        if (!admits(variant, row, N, K, o->i64 + row * K)) return false;
        *tells |= !admits(golden, row, N, K, o->i64 + row * K);
    }
    return true;
}

/* The same for integers, which have no bounds: 0 if all are the variant's. */
static double integers_under_variant(const tensor *got, const golden_tensor *golden, const golden_tensor *variant,
                                     bool *tells)
{
    const int64_t *x = got->data;
    for (size_t e = 0; e < variant->count; e++)
        if (x[e] != variant->index[e]) return INFINITY;
    for (size_t e = 0; e < variant->count; e++) *tells |= golden->index[e] != variant->index[e];
    return 0;
}

static bool integer_tensor(const op_case *c, const verdict_tensor *t) { return !t->gradient && c->out[t->slot].i64; }

double diagnose_tensor(const patient *x, const verdict_tensor *t, const verdict_golden *variant, bool *tells)
{
    if (t->kind == OP_DECISION)
        return decision_under_variant(x->c, t, &x->golden->score[t->slot], &variant->score[t->slot], tells) ? 0
                                                                                                            : INFINITY;
    const golden_tensor *w = diagnose_reference(variant, t), *equation = diagnose_reference(x->equation, t);
    const tensor *got = tensor_file_find(x->answer, t->name);
    if (integer_tensor(x->c, t) && w->index) return integers_under_variant(got, equation, w, tells);
    if (integer_tensor(x->c, t) || w->count != t->count) /* the variant says nothing about it: the equation does */
        return t->pass ? 0 : INFINITY;
    return tensor_under_variant(t, got, equation, w, tells);
}

/* The same of all outputs of the answer, or of all gradients. */
static double case_under_variant(const patient *x, bool gradients, const verdict_golden *variant, bool *tells)
{
    double worst = 0;
    for (size_t i = 0; i < x->v->tensors; i++) {
        const verdict_tensor *t = &x->v->t[i];
        if (!t->judged || t->gradient != gradients) continue;
        const double ratio = diagnose_tensor(x, t, variant, tells);
        if (isinf(ratio)) return ratio;
        if (ratio > worst) worst = ratio;
    }
    return worst;
}

void diagnose_add(verdict_case *v, verdict_match m)
{
    verdict_match *list = realloc(v->match, (v->matches + 1) * sizeof *list);
    if (!list) verdict_out_of_memory();
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

static bool all_zero(const verdict_tensor *t, const tensor *got, const golden_tensor *g)
{
    for (size_t e = 0; e < t->count; e++) {
        const double x = tensor_get(got, e);
        if (!(verdict_ratio(x, g->value[e], g->bound[e]) <= 1) && !(x >= 0 && x <= 0)) return false;
    }
    return true;
}

static void try_factors(const op_case *c, const verdict_golden *equation, const tensor_file *answer, verdict_case *v)
{
    for (size_t i = 0; i < v->tensors; i++) {
        verdict_tensor *t = &v->t[i];
        t->factors = 0;
        if (!t->judged || t->pass || t->kind == OP_DECISION || integer_tensor(c, t)) continue;
        double f;
        for (size_t k = 0; verdict_factor(k, c, &f); k++)
            if (explained_by(f, t, tensor_file_find(answer, t->name), diagnose_reference(equation, t))) {
                if (t->factors == 0) t->factor = f;
                t->factors |= 1U << k;
            }
        t->zeros = all_zero(t, tensor_file_find(answer, t->name), diagnose_reference(equation, t));
    }
}

/* --- the right numbers in the wrong places ---------------------------------------------------------------------- */

/* Is element e of the answer element `at` of golden?  A bound that says nothing shows nothing. */
static bool is_element(const tensor *got, size_t e, const golden_tensor *g, size_t at)
{
    return isfinite(g->bound[at]) && verdict_ratio(tensor_get(got, e), g->value[at], g->bound[at]) <= 1;
}

/* What follows is asked of tensors that fail: they are not golden as it stands, and not empty. */

/* Golden with its last two axes exchanged, or written column by column: as bytes the two are the same. */
static bool is_transposed(const verdict_tensor *t, const tensor *got, const golden_tensor *g)
{
    const size_t a = t->rank > 1 ? t->dim[t->rank - 2] : 1, b = t->rank > 1 ? t->dim[t->rank - 1] : 1;
    for (size_t e = 0; e < t->count; e++) {
        const size_t i = e % (a * b);
        if (!is_element(got, e, g, e - i + i % a * b + i / a)) return false;
    }
    return true;
}

static bool is_row(const tensor *got, size_t e, const golden_tensor *g, size_t at, size_t width)
{
    for (size_t i = 0; i < width; i++)
        if (!is_element(got, e + i, g, at + i)) return false;
    return true;
}

enum { MOST_ROWS = 64 };

/* Golden with the entries of its first axis in another order; `from` says which. */
static bool is_permuted(const verdict_tensor *t, const tensor *got, const golden_tensor *g, size_t from[MOST_ROWS])
{
    const size_t rows = t->rank > 0 ? t->dim[0] : 1, width = t->count / rows;
    bool used[MOST_ROWS] = {false};
    if (rows > MOST_ROWS) return false;
    for (size_t r = 0; r < rows; r++) {
        size_t u = 0;
        while (u < rows && (used[u] || !is_row(got, r * width, g, u * width, width))) u++;
        if (u == rows) return false;
        used[u] = true;
        from[r] = u;
    }
    return true;
}

static bool is_zero(const golden_tensor *g)
{
    for (size_t e = 0; e < g->count; e++)
        if (g->value[e] < 0 || g->value[e] > 0) return false;
    return true;
}

/* The tensor of this case whose golden value it has; NULL if there is none.  Zeros are like any other zeros. */
static const verdict_tensor *is_another(const op_case *c, const verdict_golden *equation, const verdict_case *v,
                                        const verdict_tensor *t, const tensor *got)
{
    for (size_t i = 0; i < v->tensors; i++) {
        const verdict_tensor *u = &v->t[i];
        if (u->slot == OP_TENSORS || integer_tensor(c, u) || u->rank != t->rank ||
            memcmp(u->dim, t->dim, t->rank * sizeof *t->dim) != 0 || diagnose_reference(equation, u)->count != t->count)
            continue;
        if (is_row(got, 0, diagnose_reference(equation, u), 0, t->count) && !is_zero(diagnose_reference(equation, u)))
            return u;
    }
    return NULL;
}

/* Adds the sentence, unless an earlier diagnosis of the case has. */
static void say_once(verdict_case *v, char *sentence)
{
    for (size_t i = 0; i < v->details; i++)
        if (strcmp(v->detail[i], sentence) == 0) {
            free(sentence);
            return;
        }
    verdict_detail(v, sentence);
}

static char *say_order(const verdict_tensor *t, const size_t *from)
{
    char text[160] = "";
    size_t at = 0, r = 0;
    for (; r < t->dim[0] && at < sizeof text - 8; r++)
        verdict_append(text, sizeof text, &at, "%s%zu", r ? " " : "", from[r]);
    return verdict_say("    %s is golden with its first axis in another order: (%s%s)", t->name, text,
                       r < t->dim[0] ? " ..." : "");
}

static void try_places(const op_case *c, const verdict_golden *equation, const tensor_file *answer, verdict_case *v)
{
    for (size_t i = 0, n = v->tensors; i < n; i++) {
        const verdict_tensor *t = &v->t[i];
        size_t from[MOST_ROWS];
        if (!t->judged || t->pass || t->kind == OP_DECISION || integer_tensor(c, t)) continue;
        const tensor *got = tensor_file_find(answer, t->name);
        const verdict_tensor *u = is_another(c, equation, v, t, got);
        if (u)
            say_once(v, verdict_say("    %s is what %s should be: were the two exchanged?", t->name, u->name));
        else if (is_transposed(t, got, diagnose_reference(equation, t)))
            say_once(v, verdict_say("    %s is golden transposed (its last two axes, or column-major)", t->name));
        else if (is_permuted(t, got, diagnose_reference(equation, t), from))
            say_once(v, say_order(t, from));
    }
}

/* The one known wrong variant that is no other formula: the twin takes decisions as data, so it is known by them. */
static const twin_variant tie_order = {
    .op = "",
    .name = "TieOrder",
    .formula = "the equation with exact ties left to the sort, where the lower index wins (N.25)",
    .effect =
        "experts of equal score are chosen or ordered by chance, by another rule, or by what else is in the batch",
    .met = "vllm-project/vllm#55514, vllm-project/vllm#54403, intel/intel-xpu-backend-for-triton#7580, "
           "NVIDIA-NeMo/Automodel#3140"};

/* Is it of this operation, and its name the first n characters of this text? */
static bool is_called(const twin_variant *w, const char *op, const char *name, size_t n)
{
    return strcmp(op, w->op) == 0 && strncmp(name, w->name, n) == 0 && !w->name[n];
}

static const twin_variant *single(const char *op, const char *name, size_t n)
{
    if (is_called(&tie_order, op, name, n)) return &tie_order;
    for (const twin_variant *w = twin_variants; w->op; w++)
        if (is_called(w, op, name, n)) return w;
    return NULL;
}

const twin_variant *verdict_variant(const char *op, const char *name)
{
    const char *plus = strchr(name, '+');
    const twin_variant *w = single(op, name, strcspn(name, "+"));
    return plus ? diagnose_pair(w, verdict_variant(op, plus + 1)) : w;
}

static void try_ties(verdict_case *v)
{
    if (v->ties == 0 || v->ties != v->inadmissible) return;
    for (size_t i = 0; i < v->tensors; i++)
        if (v->t[i].judged && !v->t[i].pass && v->t[i].kind != OP_DECISION) return;
    diagnose_add(v, (verdict_match){&tie_order, 0, true});
}

/* What variants are on one case, under golden's decisions: by index of twin_variants, without gradients and with. */
struct verdict_memory {
    verdict_golden *of[2][TWIN_VARIANTS];
};

verdict_memory *verdict_memory_new(void) { return calloc(1, sizeof(verdict_memory)); }

void verdict_memory_free(verdict_memory *m)
{
    for (size_t i = 0; m && i < 2; i++)
        for (size_t w = 0; w < TWIN_VARIANTS; w++) {
            if (m->of[i][w]) verdict_golden_clear(m->of[i][w]);
            free(m->of[i][w]);
        }
    free(m);
}

static bool golden_decisions(const op_case *c, const verdict_golden *g)
{
    for (size_t i = 0; c->op->out[i].name; i++)
        if (c->op->out[i].kind == OP_DECISION &&
            memcmp(c->out[i].i64, g->out[i].index, c->out[i].count * sizeof *c->out[i].i64) != 0)
            return false;
    return true;
}

bool verdict_in_table(const twin_variant *w)
{
    const twin_variant *row = twin_variants;
    while (row->op && row != w) row++;
    return row->op;
}

int diagnose_equation(patient *x, verdict_golden *replay, char *err, size_t errlen)
{
    memset(replay, 0, sizeof *replay);
    x->equation = x->v->replayed ? replay : x->golden;
    return x->v->replayed ? verdict_replay(x->c, x->p, NULL, replay, err, errlen) : 0;
}

/* The variant on x->c, with gradients or without: in *g, to be cleared, or remembered.  NULL: the twin failed. */
static const verdict_golden *replay_variant(const patient *x, const twin_variant *w, bool gradients, verdict_golden *g,
                                            char *err, size_t errlen)
{
    op_case run = *x->c; /* shares its arrays */
    for (size_t i = 0; !gradients && i < OP_TENSORS; i++) run.cot[i].f64 = NULL; /* nothing to reverse */
    verdict_golden **kept = x->memory && verdict_in_table(w) && golden_decisions(&run, x->golden)
                                ? &x->memory->of[gradients][w - twin_variants]
                                : NULL;
    if (kept && *kept) return *kept;
    if (verdict_replay(&run, x->p, w->name, g, err, errlen) != 0) return NULL;
    if (!kept || !(*kept = calloc(1, sizeof **kept))) return g;
    **kept = *g;
    return *kept;
}

/* Its outputs first, which cost a third of the whole and settle most variants. */
int diagnose_variant(const patient *x, verdict_match *m, char *err, size_t errlen)
{
    for (int gradients = 0; gradients <= 1; gradients++) {
        verdict_golden own;
        const verdict_golden *variant = replay_variant(x, m->variant, gradients, &own, err, errlen);
        if (!variant) return -1;
        const double ratio = case_under_variant(x, gradients, variant, &m->tells);
        if (variant == &own) verdict_golden_clear(&own);
        if (ratio > m->ratio) m->ratio = ratio;
        if (isinf(ratio)) break;
    }
    return 0;
}

/* Some element's ball about the variant's value and ball about golden have no number in common. */
static bool disjoint(const golden_tensor *golden, const golden_tensor *variant)
{
    if (golden->index)
        return variant->index && memcmp(golden->index, variant->index, golden->count * sizeof *golden->index) != 0;
    for (size_t e = 0; e < golden->count; e++)
        if (fabs(golden->value[e] - variant->value[e]) > golden->bound[e] + variant->bound[e]) return true;
    return false;
}

/* --- which variants to try first: where a case is large, those that touch what failed and little else -------- */

enum { LARGE = 20000, SMALL_T = 6, SMALL = 5 };

static bool is_large(const op_case *c)
{
    size_t elements = 0;
    for (size_t i = 0; i < OP_TENSORS; i++) elements += c->in[i].count + c->out[i].count;
    return elements > LARGE;
}

op_case *diagnose_small(const op_case *c)
{
    char err[256];
    const op_param *p = c->op->param;
    size_t k = 0, sequence = 0, size[OP_DIMS];
    for (size_t i = 0; p && p[i].name; i++) {
        if (strcmp(p[i].name, "k") == 0) k = (size_t)c->number[i];
        if (strcmp(p[i].name, "sequence") == 0) sequence = (size_t)c->number[i];
    }
    for (size_t i = 0; i < c->dims; i++) {
        const char letter = c->dim_name[i];
        size_t most = letter == 'T' ? SMALL_T : letter == 'N' ? k + SMALL : letter == 'K' ? c->dim_size[i] : SMALL;
        if (letter == 'T' && sequence > 0) most = 2 * sequence;
        size[i] = c->dim_size[i] < most ? c->dim_size[i] : most;
    }
    op_case *s = op_case_like(c, size, c->number, c->choice, err, sizeof err);
    if (!s || is_large(s)) {
        op_case_free(s);
        return NULL;
    }
    op_rng *r = op_rng_new(1, "diagnose");
    op_fill_default(s, r);
    for (size_t i = 0; s->op->out[i].name; i++) op_fill_normal(r, 1, s->cot[i].count, s->cot[i].f64);
    op_rng_free(r);
    if (op_run(s) == SMOE_OK) return s;
    op_case_free(s);
    return NULL;
}

unsigned diagnose_unlikeness(const verdict_case *v, const verdict_golden *equation, const verdict_golden *variant)
{
    unsigned n = 0;
    for (size_t i = 0; i < v->tensors; i++) {
        const verdict_tensor *t = &v->t[i];
        const golden_tensor *a = t->judged ? diagnose_reference(equation, t) : NULL,
                            *b = t->judged ? diagnose_reference(variant, t) : NULL;
        if (!t->judged || t->kind == OP_DECISION || !(a->value || a->index) || a->count != b->count) continue;
        const bool changed = disjoint(a, b);
        if (!t->pass && !changed) n += 10;
        if (t->pass && changed) n++;
    }
    return n;
}

/* How unlike the failure each variant's effect on a small case is; all alike if that cannot be said.  by: by index of
 * twin_variants. */
static void rank_variants(const patient *x, const bool *tried, unsigned *by)
{
    char err[256];
    op_case *s = is_large(x->c) ? diagnose_small(x->c) : NULL;
    const twin_profile *exact = twin_profile_find("f64");
    verdict_golden equation, variant;
    for (size_t i = 0; twin_variants[i].op; i++) by[i] = 0;
    if (!s) return;
    if (verdict_replay(s, exact, NULL, &equation, err, sizeof err) == 0) {
        for (size_t i = 0; twin_variants[i].op; i++) {
            if (!tried[i]) continue;
            by[i] = UINT_MAX;
            if (verdict_replay(s, exact, twin_variants[i].name, &variant, err, sizeof err) != 0) continue;
            by[i] = diagnose_unlikeness(x->v, &equation, &variant);
            verdict_golden_clear(&variant);
        }
        verdict_golden_clear(&equation);
    }
    op_case_free(s);
}

/* Tries variants, the likeliest first; once one matches and tells, those that are less likely are left out. */
static int try_variants(const patient *x, const bool *alive, char *err, size_t errlen)
{
    unsigned by[TWIN_VARIANTS], limit = UINT_MAX;
    bool untried[TWIN_VARIANTS] = {false};
    int status = 0;
    for (size_t i = 0; twin_variants[i].op; i++)
        untried[i] = strcmp(twin_variants[i].op, x->c->op->id) == 0 && (!alive || alive[i]);
    rank_variants(x, untried, by);
    while (status == 0) {
        size_t next = TWIN_VARIANTS;
        for (size_t i = 0; twin_variants[i].op; i++)
            if (untried[i] && (next == TWIN_VARIANTS || by[i] < by[next])) next = i;
        if (next == TWIN_VARIANTS || by[next] > limit) break;
        untried[next] = false;
        verdict_match m = {.variant = &twin_variants[next]};
        status = diagnose_variant(x, &m, err, errlen);
        if (status != 0 || isinf(m.ratio)) continue;
        diagnose_add(x->v, m);
        if (m.tells) limit = by[next];
    }
    return status;
}

int verdict_diagnose(op_case *c, const verdict_golden *g, const tensor_file *answer, const twin_profile *p,
                     const bool *alive, verdict_case *v, char *err, size_t errlen)
{
    return verdict_diagnose_again(c, g, answer, p, alive, NULL, v, err, errlen);
}

int verdict_diagnose_again(op_case *c, const verdict_golden *g, const tensor_file *answer, const twin_profile *p,
                           const bool *alive, verdict_memory *m, verdict_case *v, char *err, size_t errlen)
{
    verdict_golden replay;
    patient x = {.c = c, .golden = g, .answer = answer, .p = p, .memory = m, .v = v};
    if (!answer || v->pass || !has_failing_values(v)) return 0;
    v->ranked = is_large(c);
    if (v->ranked) alive = NULL; /* the likeliest first, which is the same whatever other cases showed */
    if (diagnose_equation(&x, &replay, err, errlen) != 0) return -1;
    try_factors(c, x.equation, answer, v);
    try_places(c, x.equation, answer, v);
    if (v->matches == 0) try_ties(v);
    const int status =
        try_variants(&x, alive, err, errlen); /* even so: who selects on other scores does not see the tie */
    verdict_golden_clear(&replay);
    return status;
}

/* --- power --------------------------------------------------------------------------------------------------- */

/* Is there a row in which the variant cannot choose as golden does, and golden's scores do not admit what it chooses? */
static bool chooses_apart(const op_case *c, const op_value *decision, const golden_tensor *golden,
                          const golden_tensor *score, const golden_tensor *variant)
{
    const size_t K = verdict_row_length(decision), N = verdict_experts(c), rows = verdict_rows(decision);
    if (variant->count != score->count) return false;
    int64_t *mine = verdict_allocate(K, sizeof *mine);
    bool apart = false;
    for (size_t row = 0; row < rows && !apart; row++) {
        if (admits(variant, row, N, K, golden->index + row * K)) continue;
        verdict_choose(variant->value + row * N, N, K, mine);
        apart = !admits(score, row, N, K, mine);
    }
    free(mine);
    return apart;
}

static bool told_apart(const op_case *c, const verdict_golden *g, const verdict_golden *variant)
{
    for (size_t i = 0; c->op->out[i].name; i++) {
        const golden_tensor *a = &g->out[i], *b = &variant->out[i];
        if (c->op->out[i].kind == OP_STAGE) continue;
        if (c->op->out[i].kind == OP_DECISION) {
            if (!(c->op->out[i].flags & OP_OPTIONAL) &&
                chooses_apart(c, &c->out[i], a, &g->score[i], &variant->score[i]))
                return true;
            continue;
        }
        if (b->count == a->count && disjoint(a, b)) return true;
    }
    for (size_t i = 0; c->op->in[i].name && !g->forward; i++) {
        const golden_tensor *a = &g->grad[i], *b = &variant->grad[i];
        if (b->count == a->count && disjoint(a, b)) return true;
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
