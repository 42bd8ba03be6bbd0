/* Two mistakes at once: pairs of known wrong variants (see verdict.h).
 *
 * Where both show in one case, no single variant is the answer.  All pairs are too many to try, so each variant is run once, and
 * the likeliest pairs come first: an element that one of the two changes should be as that one has it, and one that neither
 * changes as the equation has it, unless one changes it because of the other.  What both change is left to the trial. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose_parts.h"
#include "verdict_parts.h"

/* --- a pair as a variant --------------------------------------------------------------------------------------- */

typedef struct pair pair;
struct pair {
    const twin_variant *a, *b;
    twin_variant both;
    pair *next;
};

static pair *pairs; /* those that have been named; they live as long as the process */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static pair *pair_new(const twin_variant *a, const twin_variant *b)
{
    pair *p = verdict_allocate(1, sizeof *p);
    *p = (pair){.a = a,
                .b = b,
                .both = {.op = a->op,
                         .name = verdict_say("%s+%s", a->name, b->name),
                         .formula = verdict_say("two at once, %s, and %s", a->formula, b->formula),
                         .effect = verdict_say("%s; and %s", a->effect, b->effect),
                         .met = verdict_say("%s; and %s", a->met, b->met)}};
    return p;
}

const twin_variant *diagnose_pair(const twin_variant *a, const twin_variant *b)
{
    if (!a || !b || a == b || !verdict_in_table(a) || !verdict_in_table(b) || strcmp(a->op, b->op) != 0) return NULL;
    if (a > b) return diagnose_pair(b, a);
    pthread_mutex_lock(&lock);
    pair *p = pairs;
    while (p && (p->a != a || p->b != b)) p = p->next;
    if (!p) {
        p = pair_new(a, b);
        p->next = pairs;
        pairs = p;
    }
    pthread_mutex_unlock(&lock);
    return &p->both;
}

/* --- which pairs are likely ------------------------------------------------------------------------------------ */

/* A tensor as a variant has it; NULL where the variant says nothing of it, so that it is the equation's. */
static const golden_tensor *tensor_of(const golden_tensor *equation, const verdict_golden *variant,
                                      const verdict_tensor *t)
{
    const golden_tensor *w = t->kind == OP_DECISION ? &variant->score[t->slot] : diagnose_reference(variant, t);
    return w->count == equation->count ? w : NULL;
}

/* Has the variant another element e than the equation? */
static bool differs(const golden_tensor *equation, const golden_tensor *w, size_t e)
{
    if (!w) return false;
    if (equation->index) return equation->index[e] != w->index[e];
    return memcmp(&equation->value[e], &w->value[e], sizeof(double)) != 0;
}

static bool is_element(const tensor *got, const golden_tensor *w, size_t e)
{
    if (w->index) return ((const int64_t *)got->data)[e] == w->index[e];
    return verdict_ratio(tensor_get(got, e), w->value[e], w->bound[e]) <= 1;
}

/* A decision is one of scores, so it is looked at as a whole: if it fails, one of the two should change them. */
static size_t misfit_of_decision(const verdict_tensor *t, const golden_tensor *equation, const golden_tensor *a,
                                 const golden_tensor *b)
{
    bool changed = t->pass;
    for (size_t e = 0; e < equation->count && !changed; e++)
        changed = differs(equation, a, e) || differs(equation, b, e);
    return changed ? 0 : t->count;
}

static size_t misfit_of_tensor(const patient *x, const verdict_tensor *t, const verdict_golden *first,
                               const verdict_golden *second)
{
    const bool decision = t->kind == OP_DECISION;
    const golden_tensor *equation = decision ? &x->golden->score[t->slot] : diagnose_reference(x->equation, t);
    const golden_tensor *a = tensor_of(equation, first, t), *b = tensor_of(equation, second, t);
    const tensor *got = tensor_file_find(x->answer, t->name);
    size_t n = 0;
    if (decision) return misfit_of_decision(t, equation, a, b);
    if (equation->count != t->count) return t->pass ? 0 : t->count;
    for (size_t e = 0; e < t->count; e++) {
        const bool by_a = differs(equation, a, e), by_b = differs(equation, b, e);
        n += !(by_a && by_b) && !is_element(got, by_a ? a : by_b ? b : equation, e);
    }
    return n;
}

size_t diagnose_misfit(const patient *x, const verdict_golden *a, const verdict_golden *b)
{
    size_t n = 0;
    for (size_t i = 0; i < x->v->tensors; i++)
        if (x->v->t[i].judged) n += misfit_of_tensor(x, &x->v->t[i], a, b);
    return n;
}

/* --- trying them ----------------------------------------------------------------------------------------------- */

typedef struct {
    size_t a, b, misfit;
    bool tried;
} candidate;

/* Of those that were not tried, the first of the likeliest; NULL if there is none. */
static candidate *likeliest(candidate *list, size_t n)
{
    candidate *best = NULL;
    for (size_t i = 0; i < n; i++)
        if (!list[i].tried && (!best || list[i].misfit < best->misfit)) best = &list[i];
    return best;
}

/* The likeliest first; once one is the answer, those that are less likely are left out. */
static int try_pairs(const patient *x, size_t n, const twin_variant *const *variant, const verdict_golden *of,
                     char *err, size_t errlen)
{
    candidate *list = verdict_allocate(n * n, sizeof *list);
    size_t pairs_of = 0, limit = SIZE_MAX;
    int status = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++)
            list[pairs_of++] = (candidate){.a = i, .b = j, .misfit = diagnose_misfit(x, &of[i], &of[j])};
    while (status == 0) {
        candidate *next = likeliest(list, pairs_of);
        if (!next || next->misfit > limit) break;
        next->tried = true;
        verdict_match m = {.variant = diagnose_pair(variant[next->a], variant[next->b])};
        status = diagnose_variant(x, &m, err, errlen);
        if (status != 0 || isinf(m.ratio) || !m.tells) continue;
        diagnose_add(x->v, m);
        limit = next->misfit;
    }
    free(list);
    return status;
}

static int run_and_try(patient *x, char *err, size_t errlen)
{
    const twin_variant *variant[TWIN_VARIANTS];
    verdict_golden *of = verdict_allocate(TWIN_VARIANTS, sizeof *of);
    size_t n = 0;
    int status = 0;
    for (const twin_variant *w = twin_variants; w->op && status == 0; w++) {
        if (strcmp(w->op, x->c->op->id) != 0) continue;
        status = verdict_replay(x->c, x->p, w->name, &of[n], err, errlen);
        if (status == 0) variant[n++] = w;
    }
    if (status == 0) status = try_pairs(x, n, variant, of, err, errlen);
    for (size_t i = 0; i < n; i++) verdict_golden_clear(&of[i]);
    free(of);
    return status;
}

int verdict_diagnose_pairs(op_case *c, const verdict_golden *g, const tensor_file *answer, const twin_profile *p,
                           verdict_case *v, char *err, size_t errlen)
{
    verdict_golden replay;
    patient x = {.c = c, .golden = g, .answer = answer, .p = p, .v = v};
    int status = diagnose_equation(&x, &replay, err, errlen);
    if (status == 0) status = run_and_try(&x, err, errlen);
    verdict_golden_clear(&replay);
    return status;
}

size_t verdict_elements(const verdict_case *v)
{
    size_t n = 0;
    for (size_t i = 0; i < v->tensors; i++) n += v->t[i].count;
    return n;
}

bool verdict_explained(const verdict_case *v) { return v->matches > 0 && v->match[0].tells; }

int verdict_diagnose_as(op_case *c, const verdict_golden *g, const tensor_file *answer, const twin_profile *p,
                        const twin_variant *w, verdict_case *v, char *err, size_t errlen)
{
    verdict_golden replay;
    patient x = {.c = c, .golden = g, .answer = answer, .p = p, .v = v};
    verdict_match m = {.variant = w};
    int status = diagnose_equation(&x, &replay, err, errlen);
    if (status == 0) status = diagnose_variant(&x, &m, err, errlen);
    if (status == 0 && !isinf(m.ratio)) diagnose_add(v, m);
    verdict_golden_clear(&replay);
    return status;
}
