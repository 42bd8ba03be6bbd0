/* The twin of spec/04-balance.md. */
#include "twin_parts.h"

#include <stdlib.h>

tape_node *twin_loss(twin_eval *x, tape_node *loss)
{
    return twin_is(x, "GradScale") ? tape_scale_gradient(x->t, loss, 0.5) : loss;
}

/* LblConstant: softmax over the chosen scores alone, 0 elsewhere. */
static tape_node *chosen_only(twin_eval *x, tape_node *r)
{
    tape_node *w = twin_softmax(x, tape_gather_cols(x->t, r, x->choice.K, x->choice.of));
    return tape_scatter_cols(x->t, w, x->choice.N, x->choice.of);
}

tape_node *twin_probabilities(twin_eval *x, tape_node *r)
{
    if (twin_is(x, "LblConstant")) return chosen_only(x, r);
    tape_node *p = twin_softmax(x, r);
    return twin_is(x, "LblDoubleSoftmax") ? twin_softmax(x, p) : p;
}

/* The tokens that a loss is taken over, and how their choices are counted. */
typedef struct {
    size_t n, *row;   /* tokens */
    bool first;       /* each token's first choice only */
    bool over_tokens; /* f divided by n in any case */
    size_t capacity;  /* at most so many choices of an expert; 0: all */
} counted;

static counted all_tokens(const twin_eval *x, size_t from, size_t n)
{
    counted m = {n, calloc(n + 1, sizeof *m.row), op_is(x->c, "count", "first"), false, 0};
    if (!m.row) abort();
    for (size_t t = 0; t < n; t++) m.row[t] = from + t;
    return m;
}

/* f: a count and what it is divided by */
static tape_node *fraction(twin_eval *x, const counted *m)
{
    const twin_choice *c = &x->choice;
    const bool first = twin_is(x, "LblFirstChoiceOnly") || (m->first && !twin_is(x, "LblCountAll"));
    const size_t used = first ? 1 : c->K;
    size_t *count = calloc(c->N + 1, sizeof *count);
    if (!count) abort();
    for (size_t t = 0; t < m->n; t++)
        for (size_t j = 0; j < used; j++) count[c->of[m->row[t] * c->K + j]]++;
    for (size_t i = 0; i < c->N; i++)
        if (m->capacity > 0 && count[i] > m->capacity) count[i] = m->capacity;
    const bool over_tokens = m->over_tokens || twin_is(x, "LblTopKNorm");
    tape_node *f = tape_ratio(x->t, 1, c->N, count, over_tokens ? m->n : m->n * used);
    free(count);
    return f;
}

static tape_node *mean_probability(twin_eval *x, tape_node *p, const counted *m)
{
    tape_node *real = tape_gather_rows(x->t, p, m->n, m->row);
    return tape_mean(x->t, real, TAPE_ROWS, m->n * (twin_is(x, "LblProbOverTK") ? x->choice.K : 1));
}

/* N sum_i f_i P_i of those tokens */
static tape_node *switch_of(twin_eval *x, tape_node *p, const counted *m)
{
    tape_node *P = mean_probability(x, p, m);
    if (twin_is(x, "LblGrad")) P = tape_stop(x->t, P);
    return tape_scale(x->t, tape_sum(x->t, tape_mul(x->t, fraction(x, m), P), TAPE_ALL), (double)p->cols);
}

/* The mean or the sum over the groups that have a token. */
static tape_node *over_groups(twin_eval *x, tape_node *p, size_t groups, const counted *m, bool sum)
{
    tape_node **loss = calloc(groups + 1, sizeof *loss);
    if (!loss) abort();
    size_t n = 0;
    for (size_t b = 0; b < groups; b++)
        if (m[b].n > 0) loss[n++] = switch_of(x, p, &m[b]);
    tape_node *all = tape_concat_rows(x->t, n, loss);
    free(loss);
    return sum ? tape_sum(x->t, all, TAPE_ALL) : tape_mean(x->t, all, TAPE_ALL, n);
}

tape_node *twin_switch(twin_eval *x, tape_node *p)
{
    const size_t T = p->rows, groups = twin_is(x, "LblPerSequence") && T > 0 && T % 2 == 0 ? 2 : 1;
    counted m[2];
    for (size_t b = 0; b < groups; b++) m[b] = all_tokens(x, b * (T / groups), T / groups);
    tape_node *loss = groups == 1 ? switch_of(x, p, &m[0]) : over_groups(x, p, groups, m, false);
    for (size_t b = 0; b < groups; b++) free(m[b].row);
    return loss;
}

/* Tokens from..from+n that are not padding. */
static counted real_tokens(const twin_eval *x, size_t from, size_t n)
{
    const double *mask = op_in(x->c, "mask");
    counted m = all_tokens(x, from, n);
    m.n = 0;
    for (size_t t = from; t < from + n; t++)
        if (mask[t] == 1) m.row[m.n++] = t;
    m.over_tokens = op_is(x->c, "divide", "tokens");
    m.capacity = (size_t)op_int(x->c, "capacity");
    return m;
}

static void balance_switch(twin_eval *x)
{
    tape_node *r = twin_in(x, "r");
    twin_scores(x, "index", r);
    if (!twin_decide(x, "index", r->rows, (size_t)op_int(x->c, "k"), r->cols)) return;
    tape_node *p = twin_probabilities(x, r);
    const bool batch = op_is(x->c, "scope", "batch"), halves = batch && r->rows % 2 == 0 && twin_is(x, "LblPerSequence");
    const size_t groups = halves ? 2 : batch ? 1 : r->rows / (size_t)op_int(x->c, "sequence"), n = r->rows / groups;
    counted *m = calloc(groups + 1, sizeof *m), all = real_tokens(x, 0, r->rows);
    if (!m) abort();
    for (size_t b = 0; b < groups; b++) m[b] = real_tokens(x, b * n, n);
    if (all.n > 0) {
        tape_node *loss = over_groups(x, p, groups, m, !halves && op_is(x->c, "reduce", "sum"));
        twin_out(x, "loss", twin_loss(x, loss));
        twin_out(x, "fraction", fraction(x, &all));
        twin_out(x, "probability", mean_probability(x, p, &all));
    }
    for (size_t b = 0; b < groups; b++) free(m[b].row);
    free(m);
    free(all.row);
}

tape_node *twin_zloss(twin_eval *x, tape_node *r)
{
    if (twin_is(x, "ZLossInput")) r = twin_softmax(x, r);
    return tape_mean(x->t, tape_apply(x->t, TAPE_SQUARE, twin_logsumexp(x, r)), TAPE_ALL, r->rows);
}

static void balance_zloss(twin_eval *x) { twin_out(x, "loss", twin_loss(x, twin_zloss(x, twin_in(x, "r")))); }

const twin_entry twin_balance[] = {
    {"balance.switch", balance_switch},
    {"balance.zloss", balance_zloss},
    {NULL, NULL},
};
