/* The twin of spec/04-balance.md. */
#include "twin_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Reads the decision of K experts a token on these scores; false if the case has none. */
static bool select_on(twin_eval *x, tape_node *scores)
{
    size_t i = 0;
    while (x->c->op->out[i].name && strcmp(x->c->op->out[i].name, "index") != 0) i++;
    const op_value *index = &x->c->out[i];
    twin_scores(x, "index", scores);
    return twin_decide(x, "index", scores->rows, index->rank == 2 ? index->dim[1] : 1, scores->cols);
}

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

/* --- Switch and its relatives (B.4, B.5, B.7, B.8) --- */

static bool has_parameter(const twin_eval *x, const char *name)
{
    const op_param *p = x->c->op->param;
    while (p && p->name && strcmp(p->name, name) != 0) p++;
    return p && p->name;
}

static bool asks(const twin_eval *x, const char *parameter, const char *choice)
{
    return has_parameter(x, parameter) && op_is(x->c, parameter, choice);
}

/* How f and P are taken, out of whichever of these parameters the operation has. */
typedef struct {
    bool first, by_tokens, sum;
    size_t group, capacity;
    const double *mask; /* NULL: every token is real */
} rules;

static const double *mask_of(const twin_eval *x)
{
    for (size_t i = 0; x->c->op->in[i].name; i++)
        if (strcmp(x->c->op->in[i].name, "mask") == 0) return x->c->in[i].f64;
    return NULL;
}

static rules rules_of(const twin_eval *x, size_t T)
{
    rules a = {.group = T, .mask = twin_is(x, "LblPadding") ? NULL : mask_of(x)};
    a.first = twin_is(x, "LblFirstChoiceOnly") || (asks(x, "count", "first") && !twin_is(x, "LblCountAll"));
    a.by_tokens = asks(x, "divide", "tokens") ? !twin_is(x, "LblDivideByChoices") : twin_is(x, "LblTopKNorm");
    a.sum = asks(x, "reduce", "sum") ? !twin_is(x, "LblLayerMean") : twin_is(x, "LblLayerSum");
    if (has_parameter(x, "capacity") && !twin_is(x, "LblAfterCapacity")) a.capacity = (size_t)op_int(x->c, "capacity");
    const bool whole = !has_parameter(x, "scope") || asks(x, "scope", "batch");
    if (whole && twin_is(x, "LblPerSequence") && T > 0 && T % 2 == 0) a.group = T / 2;
    if (!whole && !twin_is(x, "LblCrossLayer")) a.group = (size_t)op_int(x->c, "sequence");
    return a;
}

/* What a group of tokens comes to. */
typedef struct {
    size_t *count; /* [N] choices that count */
    size_t *token, tokens; /* the real ones */
    size_t *kept, survivors; /* those with a choice that counts */
    size_t choices; /* that could count */
} census;

static census census_of(const twin_eval *x, const rules *a, size_t from, size_t n)
{
    const twin_choice *c = &x->choice;
    const size_t used = a->first ? 1 : c->K;
    census m = {.count = op_room(c->N, sizeof(size_t)),
                .token = op_room(n, sizeof(size_t)),
                .kept = op_room(n, sizeof(size_t))};
    for (size_t t = from; t < from + n; t++) {
        if (a->mask && !(a->mask[t] > 0)) continue;
        bool stays = false;
        for (size_t j = 0; j < used; j++) {
            size_t *taken = &m.count[c->of[t * c->K + j]];
            const bool place = a->capacity == 0 || *taken < a->capacity;
            *taken += place;
            stays |= place;
        }
        m.token[m.tokens++] = t;
        if (stays) m.kept[m.survivors++] = t;
        m.choices += used;
    }
    return m;
}

static void census_free(census *m)
{
    free(m->count);
    free(m->token);
    free(m->kept);
}

static size_t padded(const twin_eval *x, const census *m, size_t n)
{
    return twin_is(x, "LblPaddingDenominator") ? n : m->tokens;
}

/* f of a group: the counts over the choices that could count, or over the tokens. */
static tape_node *fraction(twin_eval *x, const rules *a, const census *m, size_t n)
{
    const size_t tokens = padded(x, m, n), each = m->tokens ? m->choices / m->tokens : 1;
    return tape_ratio(x->t, 1, x->choice.N, m->count, a->by_tokens ? tokens : tokens * each);
}

/* P of a group: the mean of p over its tokens. */
static tape_node *mean_probability(twin_eval *x, tape_node *p, const census *m, size_t n)
{
    const bool dropped = twin_is(x, "LblDroppedP");
    tape_node *rows = tape_gather_rows(x->t, p, dropped ? m->survivors : m->tokens, dropped ? m->kept : m->token);
    return tape_mean(x->t, rows, TAPE_ROWS, padded(x, m, n) * (twin_is(x, "LblProbOverTK") ? x->choice.K : 1));
}

/* N sum_i f_i P_i */
static tape_node *agreement(twin_eval *x, tape_node *f, tape_node *P)
{
    if (twin_is(x, "LblGrad")) P = tape_stop(x->t, P);
    return tape_scale(x->t, tape_sum(x->t, tape_mul(x->t, f, P), TAPE_ALL), (double)P->cols);
}

/* The sum or the mean of numbers in a list, which is given up. */
static tape_node *collected(twin_eval *x, size_t n, tape_node **list, bool sum)
{
    tape_node *all = tape_concat_rows(x->t, n, list);
    free(list);
    return tape_mean(x->t, all, TAPE_ALL, sum ? 1 : n);
}

tape_node *twin_switch(twin_eval *x, tape_node *p)
{
    const rules a = rules_of(x, p->rows);
    const size_t groups = a.group ? p->rows / a.group : 0;
    tape_node **loss = op_room(groups, sizeof(tape_node *));
    size_t n = 0;
    for (size_t b = 0; b < groups; b++) {
        census m = census_of(x, &a, b * a.group, a.group);
        if (m.tokens > 0) loss[n++] = agreement(x, fraction(x, &a, &m, a.group), mean_probability(x, p, &m, a.group));
        census_free(&m);
    }
    if (n == 1) { /* a mean of one is that one */
        tape_node *only = loss[0];
        free(loss);
        return only;
    }
    return collected(x, n, loss, a.sum);
}

static void balance_switch(twin_eval *x)
{
    tape_node *r = twin_in(x, "r");
    if (!select_on(x, r)) return;
    tape_node *p = twin_probabilities(x, r);
    const rules a = rules_of(x, r->rows);
    census m = census_of(x, &a, 0, r->rows);
    twin_out(x, "loss", twin_loss(x, twin_switch(x, p)));
    twin_out(x, "fraction", fraction(x, &a, &m, r->rows));
    twin_out(x, "probability", mean_probability(x, p, &m, r->rows));
    census_free(&m);
}

tape_node *twin_zloss(twin_eval *x, tape_node *r)
{
    if (twin_is(x, "ZLossInput")) r = twin_softmax(x, r);
    return tape_mean(x->t, tape_apply(x->t, TAPE_SQUARE, twin_logsumexp(x, r)), TAPE_ALL, r->rows);
}

static void balance_zloss(twin_eval *x) { twin_out(x, "loss", twin_loss(x, twin_zloss(x, twin_in(x, "r")))); }

/* --- squared coefficients of variation (B.9, B.10) --- */

/* A number that a candidate reads in its own format. */
static tape_node *number(twin_eval *x, double v) { return tape_leaf(x->t, 1, 1, &v, false); }

/* Also right: the square of what its name says, sqrt(Var) / mean. */
static tape_node *cv_slack(twin_eval *x, tape_node *cv)
{
    if (!tape_rounds(x->t)) return cv;
    const double w = tape_u(x->t), forward = arb_is_zero(cv->v) ? 0 : 6 * w * tape_upper(cv, 0), reverse = 6 * w;
    return tape_slack(x->t, cv, &forward, &reverse);
}

/* Var(v) / (mean(v)^2 + epsilon) of a row. */
static tape_node *cv_squared(twin_eval *x, tape_node *v)
{
    const size_t N = v->cols;
    const bool unbiased =
        op_is(x->c, "variance", "unbiased") ? !twin_is(x, "Cv2Population") : twin_is(x, "Cv2Variance");
    double epsilon = op_real(x->c, "epsilon");
    if (twin_is(x, "CvEpsilon")) epsilon += 1e-10;
    if (twin_is(x, "CvEpsilonMissing")) epsilon = 0;
    tape_node *mean = tape_mean(x->t, v, TAPE_ALL, N);
    tape_node *off = tape_apply(x->t, TAPE_SQUARE, tape_sub(x->t, v, mean));
    tape_node *variance = tape_mean(x->t, off, TAPE_ALL, unbiased ? N - 1 : N);
    if (twin_is(x, "CvNotSquared")) return tape_div(x->t, variance, mean);
    tape_node *scale = tape_apply(x->t, TAPE_SQUARE, mean);
    if (epsilon > 0) scale = tape_add(x->t, scale, number(x, epsilon));
    return cv_slack(x, tape_div(x->t, variance, scale));
}

static void balance_importance(twin_eval *x)
{
    tape_node *importance = tape_sum(x->t, twin_in(x, "g"), TAPE_ROWS);
    twin_out(x, "importance", importance);
    twin_out(x, "loss", twin_loss(x, cv_squared(x, importance)));
}

/* The scores of each token's experts that were not chosen, [T, N-K]. */
static tape_node *losers(twin_eval *x, tape_node *s)
{
    const twin_choice *c = &x->choice;
    size_t *col = op_room(c->T * c->N, sizeof *col), at = 0;
    for (size_t t = 0; t < c->T; t++)
        for (size_t i = 0; i < c->N; i++) {
            bool taken = false;
            for (size_t j = 0; j < c->K; j++) taken |= c->of[t * c->K + j] == i;
            if (!taken) col[at++] = i;
        }
    tape_node *y = tape_gather_cols(x->t, s, c->N - c->K, col);
    free(col);
    return y;
}

/* What each score has to exceed to be among the K, [T, N]: the best of the others for a chosen one, the worst of the
 * chosen for the others. */
static tape_node *thresholds(twin_eval *x, tape_node *s)
{
    const twin_choice *c = &x->choice;
    size_t *last = op_room(c->T, sizeof *last), *col = op_room(c->T * c->N, sizeof *col);
    for (size_t t = 0; t < c->T; t++) {
        last[t] = c->of[t * c->K + c->K - 1];
        for (size_t j = 0; j < c->K && !twin_is(x, "LoadThreshold"); j++) col[t * c->N + c->of[t * c->K + j]] = 1;
    }
    tape_node *const both[] = {tape_gather_cols(x->t, s, 1, last), tape_max(x->t, losers(x, s))};
    tape_node *y = tape_gather_cols(x->t, tape_concat_cols(x->t, 2, both), c->N, col);
    free(last);
    free(col);
    return y;
}

/* The probability that an expert is chosen when its noise is drawn again, [T, N]. */
static tape_node *chances(twin_eval *x, tape_node *noisy)
{
    tape_node *clean = twin_in(x, "clean"), *std = twin_in(x, "std");
    if (x->choice.K == x->choice.N) return tape_fill(x->t, clean->rows, clean->cols, 1);
    tape_node *limit = thresholds(x, noisy);
    const bool detach =
        op_is(x->c, "detach", "yes") ? !twin_is(x, "ThresholdTrained") : twin_is(x, "ThresholdDetached");
    if (detach) limit = tape_stop(x->t, limit);
    tape_node *from = twin_is(x, "LoadOfNoisy") ? noisy : clean;
    return tape_apply(x->t, TAPE_NORMAL_CDF, tape_div(x->t, tape_sub(x->t, from, limit), std));
}

static void balance_load(twin_eval *x)
{
    tape_node *noisy = twin_in(x, "noisy");
    if (!select_on(x, noisy)) return;
    tape_node *load = tape_sum(x->t, chances(x, noisy), TAPE_ROWS);
    twin_out(x, "load", load);
    twin_out(x, "loss", twin_loss(x, cv_squared(x, load)));
}

/* --- losses of a count and a mean (B.11 to B.13) --- */

/* How often each expert was chosen, [N]. */
static size_t *counts(const twin_eval *x)
{
    const twin_choice *c = &x->choice;
    size_t *count = op_room(c->N, sizeof *count);
    for (size_t a = 0; a < c->T * c->K; a++) count[c->of[a]]++;
    return count;
}

/* The best expert of each row but the chosen one. */
static size_t runner_up(const tape_node *s, size_t t, size_t winner)
{
    size_t best = winner == 0 ? 1 : 0;
    for (size_t i = best + 1; i < s->cols; i++)
        if (i != winner && tape_middle(s, t * s->cols + i) > tape_middle(s, t * s->cols + best)) best = i;
    return best;
}

static void balance_gshard(twin_eval *x)
{
    tape_node *r = twin_in(x, "r");
    if (!select_on(x, r)) return;
    const size_t T = r->rows, N = r->cols, capacity = (size_t)op_int(x->c, "capacity");
    const bool after = op_is(x->c, "count", "after") != twin_is(x, "LblAfterCapacity");
    const bool paper = op_is(x->c, "form", "paper") != twin_is(x, "GShardScale");
    size_t *count = counts(x);
    for (size_t t = 0; t < T && N > 1 && twin_is(x, "GShardCountAll"); t++) count[runner_up(r, t, x->choice.of[t])]++;
    for (size_t i = 0; i < N; i++)
        if (after && capacity > 0 && count[i] > capacity) count[i] = capacity;
    tape_node *p = twin_probabilities(x, r);
    tape_node *m = tape_mean(x->t, p, TAPE_ROWS, T);
    if (twin_is(x, "LblGrad")) m = tape_stop(x->t, m);
    tape_node *each = tape_mul(x->t, tape_ratio(x->t, 1, N, count, T), m);
    tape_node *loss =
        paper ? tape_mean(x->t, each, TAPE_ALL, N) : tape_scale(x->t, tape_sum(x->t, each, TAPE_ALL), (double)N);
    free(count);
    twin_out(x, "loss", twin_loss(x, loss));
}

static void balance_xmoe(twin_eval *x)
{
    tape_node *s = twin_in(x, "s");
    if (!select_on(x, s)) return;
    const size_t T = s->rows, N = s->cols;
    const bool shares = op_is(x->c, "count", "fraction") != twin_is(x, "XmoeCount");
    tape_node *hot = twin_is(x, "XmoeTemperature") ? s : tape_div(x->t, s, number(x, op_real(x->c, "tau0")));
    tape_node *p = twin_probabilities(x, hot);
    if (twin_is(x, "LblGrad")) p = tape_stop(x->t, p);
    size_t *count = counts(x);
    tape_node *P = tape_mean(x->t, p, TAPE_ROWS, twin_is(x, "LblSumOverTokens") ? 1 : T);
    tape_node *each = tape_mul(x->t, tape_ratio(x->t, 1, N, count, shares ? T : 1), P);
    free(count);
    twin_out(x, "loss", twin_loss(x, tape_scale(x->t, tape_sum(x->t, each, TAPE_ALL), (double)N)));
}

/* (n_i - T/N) / (T/N) for each expert: how far its load is above the mean.  A difference: its rounding is absolute. */
static tape_node *excess(twin_eval *x, size_t T, size_t N)
{
    size_t *count = counts(x);
    for (size_t i = 0; i < N; i++) count[i] *= N;
    tape_node *share = tape_ratio(x->t, 1, N, count, T), *y = tape_sub(x->t, share, tape_fill(x->t, 1, 1, 1));
    double *forward = op_room(N, sizeof *forward);
    for (size_t i = 0; i < N; i++) forward[i] = T % N ? 3 * tape_u(x->t) * tape_upper(share, i) : 0;
    if (twin_is(x, "StableExcess")) y = share;
    if (tape_rounds(x->t)) y = tape_slack(x->t, y, forward, NULL);
    free(forward);
    free(count);
    return y;
}

static void balance_stable(twin_eval *x)
{
    tape_node *s = twin_in(x, "s");
    if (!select_on(x, s)) return;
    const size_t T = s->rows, N = s->cols;
    tape_node *a = tape_gather_cols(x->t, s, 1, x->choice.of), *over = excess(x, T, N);
    if (twin_is(x, "StableAllGates")) {
        tape_node *gates = tape_sum(x->t, tape_apply(x->t, TAPE_SIGMOID, s), TAPE_ROWS);
        tape_node *all = tape_sum(x->t, tape_mul(x->t, over, gates), TAPE_ALL);
        twin_out(x, "loss", tape_scale(x->t, all, op_real(x->c, "alpha")));
        return;
    }
    if (!twin_is(x, "StableNoSigmoid")) a = tape_apply(x->t, TAPE_SIGMOID, a);
    if (twin_is(x, "LblGrad")) a = tape_stop(x->t, a);
    tape_node *each = tape_view(x->t, tape_gather_cols(x->t, over, T, x->choice.of), 0, T, 1);
    each = tape_mul(x->t, each, a);
    if (tape_rounds(x->t)) { /* who adds before multiplying stores once more */
        double *forward = op_room(T, sizeof *forward);
        for (size_t t = 0; t < T; t++) forward[t] = arb_is_exact(each->v + t) ? 0 : tape_u(x->t) * tape_upper(each, t);
        each = tape_slack(x->t, each, forward, NULL);
        free(forward);
    }
    tape_node *loss = tape_mean(x->t, each, TAPE_ALL, twin_is(x, "StableMean") ? T : 1);
    const double alpha = twin_is(x, "CoefficientLeftOut") ? 1 : op_real(x->c, "alpha");
    twin_out(x, "loss", twin_loss(x, tape_scale(x->t, loss, alpha)));
}

/* --- entropy (B.14) --- */

/* sum q log q of the mean q of rows from..from+n */
static tape_node *negative_entropy(twin_eval *x, tape_node *p, size_t from, size_t n)
{
    tape_node *rows = tape_view(x->t, p, from, n, p->cols);
    if (twin_is(x, "EntropyOfTokens")) return tape_mean(x->t, tape_apply(x->t, TAPE_XLOGX, rows), TAPE_ALL, n);
    return tape_sum(x->t, tape_apply(x->t, TAPE_XLOGX, tape_mean(x->t, rows, TAPE_ROWS, n)), TAPE_ALL);
}

static void balance_entropy(twin_eval *x)
{
    tape_node *r = twin_in(x, "r");
    if (twin_is(x, "EntropyOfProbs")) r = twin_softmax(x, r);
    tape_node *p = twin_softmax(x, r);
    const size_t T = p->rows;
    const bool whole = op_is(x->c, "scope", "batch");
    size_t n = whole || twin_is(x, "LblCrossLayer") ? T : (size_t)op_int(x->c, "sequence");
    if (whole && twin_is(x, "LblPerSequence") && T % 2 == 0) n = T / 2;
    tape_node **part = op_room(T, sizeof(tape_node *));
    for (size_t b = 0; b < T / n; b++) part[b] = negative_entropy(x, p, b * n, n);
    tape_node *loss = collected(x, T / n, part, false);
    twin_out(x, "loss", twin_loss(x, twin_is(x, "EntropySign") ? tape_scale(x->t, loss, -1) : loss));
}

/* --- DeepSeek-V3 (B.15, B.16) --- */

/* s / sum(s) in each row */
static tape_node *shares(twin_eval *x, tape_node *s)
{
    if (twin_is(x, "AffinityNotNormalised")) return s;
    tape_node *sum = tape_sum(x->t, s, TAPE_COLS);
    if (twin_is(x, "LblEpsHack")) sum = tape_add(x->t, sum, tape_fill(x->t, 1, 1, 0x1p-23));
    return tape_div(x->t, s, sum);
}

/* The choices of each expert among tokens from..from+n. */
static size_t *counts_of(const twin_eval *x, size_t from, size_t n, size_t used)
{
    const twin_choice *c = &x->choice;
    size_t *count = op_room(c->N, sizeof *count);
    for (size_t t = from; t < from + n; t++)
        for (size_t j = 0; j < used; j++) count[c->of[t * c->K + j]]++;
    return count;
}

/* N sum_i f_i P_i of the tokens from..from+n, with f of the tokens first..first+many. */
static tape_node *agreement_of(twin_eval *x, tape_node *p, size_t from, size_t n, size_t first, size_t many)
{
    const size_t K = x->choice.K, used = twin_is(x, "LblFirstChoiceOnly") ? 1 : K;
    size_t *count = counts_of(x, first, many, used);
    tape_node *f = tape_ratio(x->t, 1, p->cols, count, twin_is(x, "LblTopKNorm") ? many : many * used);
    const size_t over = n * (twin_is(x, "LblProbOverTK") ? K : 1);
    tape_node *P = tape_mean(x->t, tape_view(x->t, p, from, n, p->cols), TAPE_ROWS, over);
    free(count);
    return agreement(x, f, P);
}

static void balance_deepseek(twin_eval *x)
{
    tape_node *s = twin_in(x, "s"), *biased = tape_add(x->t, s, twin_in(x, "bias"));
    if (!select_on(x, twin_is(x, "IgnoredBias") ? s : biased)) return;
    tape_node *p = shares(x, twin_is(x, "BiasLeak") ? biased : twin_is(x, "DeepseekSoftmax") ? twin_softmax(x, s) : s);
    const size_t T = s->rows, given = (size_t)op_int(x->c, "sequence");
    const size_t whole = twin_is(x, "LblPerSequence") && T % 2 == 0 ? T / 2 : T;
    const size_t n = given == 0 || twin_is(x, "LblCrossLayer") ? whole : given;
    tape_node **part = op_room(T, sizeof(tape_node *));
    for (size_t b = 0; b < T / n; b++) part[b] = agreement_of(x, p, b * n, n, b * n, n);
    const double alpha = twin_is(x, "CoefficientLeftOut") ? 1 : op_real(x->c, "alpha");
    tape_node *loss = collected(x, T / n, part, twin_is(x, "LblLayerSum"));
    twin_out(x, "loss", twin_loss(x, tape_scale(x->t, loss, alpha)));
}

/* The sign of each element: 1, 0, -1, or somewhere between where the ball leaves it open. */
static tape_node *sign(twin_eval *x, const tape_node *a)
{
    const size_t n = a->rows * a->cols;
    double *known = op_room(n, sizeof *known), *open = op_room(n, sizeof *open);
    for (size_t i = 0; i < n; i++) {
        known[i] = arb_is_positive(a->v + i) ? 1 : arb_is_negative(a->v + i) ? -1 : twin_is(x, "BiasSignZero");
        open[i] = tape_rounds(x->t) && arb_contains_zero(a->v + i) && !arb_is_zero(a->v + i);
    }
    tape_node *y = tape_slack(x->t, tape_leaf(x->t, a->rows, a->cols, known, false), open, NULL);
    free(known);
    free(open);
    return y;
}

/* The middle one of an odd number of loads, the mean of the two middle ones of an even number. */
static tape_node *median(twin_eval *x, const tape_node *load)
{
    const size_t n = load->cols;
    double middle[2] = {0, 0};
    for (size_t i = 0; i < n; i++) {
        const double v = tape_middle(load, i);
        size_t rank = 0;
        for (size_t j = 0; j < n; j++) {
            const double w = tape_middle(load, j);
            rank += w < v || (w <= v && j < i);
        }
        if (rank == (n - 1) / 2) middle[0] = v;
        if (rank == n / 2) middle[1] = v;
    }
    return number(x, (middle[0] + middle[1]) / 2);
}

static void balance_deepseek_bias(twin_eval *x)
{
    tape_node *load = twin_in(x, "load"), *mean = tape_mean(x->t, load, TAPE_ALL, load->cols);
    if (twin_is(x, "BiasMedian")) mean = median(x, load);
    tape_node *lack = twin_is(x, "BiasSign") ? tape_sub(x->t, load, mean) : tape_sub(x->t, mean, load);
    tape_node *step = twin_is(x, "BiasProportional") ? lack : sign(x, lack);
    step = tape_scale(x->t, step, op_real(x->c, "gamma"));
    twin_out(x, "updated", tape_add(x->t, twin_in(x, "bias"), step));
}

/* --- balance over micro-batches (B.17) --- */

static void balance_global(twin_eval *x)
{
    tape_node *r = twin_in(x, "r");
    if (!select_on(x, r)) return;
    tape_node *p = twin_probabilities(x, r);
    const size_t T = p->rows, given = (size_t)op_int(x->c, "micro"), n = given == 0 ? T : given;
    bool global = op_is(x->c, "form", "global"), micro = op_is(x->c, "form", "micro");
    if (twin_is(x, "GlobalMicro")) micro = true, global = false;
    if (twin_is(x, "GlobalWhole")) global = true, micro = false;
    if (twin_is(x, "GlobalAccumulated")) global = micro = false;
    tape_node **part = op_room(T, sizeof(tape_node *));
    for (size_t b = 0; b < T / n; b++)
        part[b] = agreement_of(x, p, b * n, n, micro ? b * n : 0, micro ? n : global ? T : (b + 1) * n);
    twin_out(x, "loss", twin_loss(x, collected(x, T / n, part, twin_is(x, "LblLayerSum"))));
}

const twin_entry twin_balance[] = {
    {"balance.switch", balance_switch},         {"balance.zloss", balance_zloss},
    {"balance.importance", balance_importance}, {"balance.load", balance_load},
    {"balance.gshard", balance_gshard},         {"balance.xmoe", balance_xmoe},
    {"balance.stable", balance_stable},         {"balance.entropy", balance_entropy},
    {"balance.deepseek", balance_deepseek},     {"balance.deepseek.bias", balance_deepseek_bias},
    {"balance.global", balance_global},         {NULL, NULL},
};
