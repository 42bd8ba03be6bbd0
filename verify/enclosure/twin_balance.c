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

/* f of tokens from..from+n: a count and what it is divided by */
static tape_node *fraction(twin_eval *x, size_t from, size_t n)
{
    const twin_choice *c = &x->choice;
    const bool first =
        twin_is(x, "LblFirstChoiceOnly") || (op_is(x->c, "count", "first") && !twin_is(x, "LblCountAll"));
    const size_t used = first ? 1 : c->K;
    size_t *count = calloc(c->N + 1, sizeof *count);
    if (!count) abort();
    for (size_t t = from; t < from + n; t++)
        for (size_t j = 0; j < used; j++) count[c->of[t * c->K + j]]++;
    tape_node *f = tape_ratio(x->t, 1, c->N, count, twin_is(x, "LblTopKNorm") ? n : n * used);
    free(count);
    return f;
}

static tape_node *mean_probability(twin_eval *x, tape_node *p)
{
    return tape_mean(x->t, p, TAPE_ROWS, p->rows * (twin_is(x, "LblProbOverTK") ? x->choice.K : 1));
}

/* N sum_i f_i P_i of tokens from..from+n */
static tape_node *switch_of(twin_eval *x, tape_node *p, size_t from, size_t n)
{
    tape_node *P = mean_probability(x, tape_view(x->t, p, from, n, p->cols));
    if (twin_is(x, "LblGrad")) P = tape_stop(x->t, P);
    return tape_scale(x->t, tape_sum(x->t, tape_mul(x->t, fraction(x, from, n), P), TAPE_ALL), (double)p->cols);
}

/* The mean over sequences of n tokens. */
static tape_node *switch_of_sequences(twin_eval *x, tape_node *p, size_t n)
{
    const size_t sequences = p->rows / n;
    tape_node **loss = calloc(sequences + 1, sizeof *loss);
    if (!loss) abort();
    for (size_t b = 0; b < sequences; b++) loss[b] = switch_of(x, p, b * n, n);
    tape_node *y = tape_mean(x->t, tape_concat_rows(x->t, sequences, loss), TAPE_ALL, sequences);
    free(loss);
    return y;
}

tape_node *twin_switch(twin_eval *x, tape_node *p)
{
    const size_t T = p->rows;
    if (twin_is(x, "LblPerSequence") && T > 0 && T % 2 == 0) return switch_of_sequences(x, p, T / 2);
    return switch_of(x, p, 0, T);
}

static void balance_switch(twin_eval *x)
{
    tape_node *r = twin_in(x, "r");
    twin_scores(x, "index", r);
    if (!twin_decide(x, "index", r->rows, (size_t)op_int(x->c, "k"), r->cols)) return;
    tape_node *p = twin_probabilities(x, r);
    const bool sequences = op_is(x->c, "scope", "sequence");
    tape_node *loss = sequences ? switch_of_sequences(x, p, (size_t)op_int(x->c, "sequence")) : twin_switch(x, p);
    twin_out(x, "loss", twin_loss(x, loss));
    twin_out(x, "fraction", fraction(x, 0, r->rows));
    twin_out(x, "probability", mean_probability(x, p));
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
