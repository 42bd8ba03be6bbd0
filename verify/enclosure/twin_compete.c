/* The twin of spec/05-compete.md. */
#include "twin_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- response --- */

static tape_node *mean_of(twin_eval *x, tape_function f, tape_node *rows)
{
    tape_node *v = tape_apply(x->t, f, rows);
    return twin_is(x, "ResponseSum") ? tape_sum(x->t, v, TAPE_COLS) : tape_mean(x->t, v, TAPE_COLS, v->cols);
}

/* One score for each row of outputs, [rows, 1]. */
static tape_node *response(twin_eval *x, const char *kind, tape_node *rows)
{
    const bool norm = strcmp(kind, "norm") == 0;
    if ((norm || twin_is(x, "ResponseNorm")) && !(norm && twin_is(x, "ResponseSoftplus"))) return tape_norm(x->t, rows);
    if (strcmp(kind, "relu") == 0) return mean_of(x, TAPE_RELU, rows);
    if (strcmp(kind, "sigmoid") == 0) return mean_of(x, TAPE_SIGMOID, rows);
    if (strcmp(kind, "silu") == 0) return mean_of(x, TAPE_SILU, rows);
    return mean_of(x, twin_is(x, "SoftplusThreshold") ? TAPE_SOFTPLUS20 : TAPE_SOFTPLUS, rows);
}

/* What the parameter `param` says of the response, or `otherwise`. */
static const char *kind_of(const twin_eval *x, const char *param, const char *otherwise)
{
    static const char *const kinds[] = {"softplus", "norm", "relu", "sigmoid", "silu"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (twin_chose(x, param, kinds[i])) return kinds[i];
    return otherwise;
}

static void compete_response(twin_eval *x)
{
    twin_out(x, "s", response(x, kind_of(x, "kind", "softplus"), twin_in(x, "o")));
}

/* (1 - share) s + share r of s [T, N].  Who takes s + share (r - s) rounds a difference, and 1 - share may be
 * rounded. */
static tape_node *mixed(twin_eval *x, tape_node *s, tape_node *r, double share)
{
    if (twin_is(x, "MixNone")) return s;
    if (twin_is(x, "MixGradNone")) r = tape_stop(x->t, r);
    if (twin_is(x, "MixSum")) return tape_add(x->t, s, r);
    if (twin_is(x, "MixSwapped")) share = 1 - share;
    const size_t n = s->rows * s->cols;
    double *slack = op_room(n, sizeof *slack);
    for (size_t i = 0; i < n; i++) slack[i] = 3 * tape_u(x->t) * (tape_upper(s, i) + tape_upper(r, i));
    tape_node *y = tape_add(x->t, tape_scale(x->t, s, 1 - share), tape_scale(x->t, r, share));
    if (tape_rounds(x->t)) y = tape_slack(x->t, y, slack, NULL);
    free(slack);
    return y;
}

static void compete_mix(twin_eval *x)
{
    tape_node *r = twin_in(x, "r"), *s = response(x, kind_of(x, "kind", "norm"), twin_in(x, "o"));
    twin_out(x, "s", mixed(x, tape_view(x->t, s, 0, r->rows, r->cols), r, op_real(x->c, "share")));
}

/* --- route --- */

/* The winners' outputs [T K, d], in the order of the choice, from o [T N, d]. */
static tape_node *winners(twin_eval *x, tape_node *o)
{
    const twin_choice *c = &x->choice;
    size_t *row = op_room(c->T * c->K, sizeof *row);
    for (size_t i = 0; i < c->T * c->K; i++) row[i] = i / c->K * c->N + c->of[i];
    tape_node *y = tape_gather_rows(x->t, o, c->T * c->K, row);
    free(row);
    return y;
}

typedef enum { RATIO, SOFTMAX, SIGMOID_RATIO } weighting;

static tape_node *winners_weights(twin_eval *x, tape_node *s, weighting form)
{
    tape_node *v = tape_gather_cols(x->t, s, x->choice.K, x->choice.of);
    if (twin_is(x, "WeightsSoftmaxScores"))
        form = SOFTMAX;
    else if (twin_is(x, "CompeteNormalisedWeights"))
        form = RATIO;
    if (form == SOFTMAX) return twin_softmax(x, v);
    if (form == SIGMOID_RATIO) v = tape_apply(x->t, TAPE_SIGMOID, v);
    return tape_div(x->t, v, tape_sum(x->t, v, TAPE_COLS));
}

static void compete_route(twin_eval *x)
{
    tape_node *o = twin_in(x, "o");
    const bool first = op_is(x->c, "version", "1");
    const size_t T = op_dim(x->c, 'T'), N = op_dim(x->c, 'N');
    tape_node *s = tape_view(x->t, response(x, first ? "norm" : "softplus", o), 0, T, N);
    twin_scores(x, "index", s);
    if (!twin_decide(x, "index", T, (size_t)op_int(x->c, "k"), N)) return;
    tape_node *weight = winners_weights(x, s, first ? SOFTMAX : RATIO);
    twin_out(x, "s", s);
    twin_out(x, "weight", weight);
    twin_out(x, "y", twin_combine(x, winners(x, o), weight));
}

/* --- distillation --- */

/* Columns in the order of descending score: what an unsorted top-k over all experts makes of the router's scores. */
static tape_node *permuted(twin_eval *x, tape_node *r)
{
    size_t *col = op_room(r->rows * r->cols, sizeof *col);
    for (size_t t = 0; t < r->rows; t++)
        for (size_t i = 0; i < r->cols; i++) {
            size_t rank = 0; /* experts before i */
            for (size_t j = 0; j < r->cols; j++) {
                const double a = tape_middle(r, t * r->cols + j), b = tape_middle(r, t * r->cols + i);
                rank += a > b || (!(a < b) && j < i);
            }
            col[t * r->cols + rank] = i;
        }
    tape_node *y = tape_gather_cols(x->t, r, r->cols, col);
    free(col);
    return y;
}

/* softmax over the winners alone, 0 elsewhere */
static tape_node *winners_softmax(twin_eval *x, tape_node *s)
{
    tape_node *w = twin_softmax(x, tape_gather_cols(x->t, s, x->choice.K, x->choice.of));
    return tape_scatter_cols(x->t, w, x->choice.N, x->choice.of);
}

static tape_node *detached(twin_eval *x, tape_node *s)
{
    const bool detach = op_is(x->c, "detach", "yes");
    if ((detach && !twin_is(x, "TargetNotDetached")) || twin_is(x, "TargetDetached")) s = tape_stop(x->t, s);
    return s;
}

static tape_node *target(twin_eval *x, tape_node *s)
{
    const bool masked = twin_chose(x, "version", "1") ? !twin_is(x, "TargetFull") : twin_is(x, "TargetMasked");
    s = detached(x, s);
    return masked ? winners_softmax(x, s) : twin_softmax(x, s);
}

static tape_node *squares(twin_eval *x, tape_node *r, tape_node *s)
{
    tape_node *p = twin_is(x, "RouterMasked") ? winners_softmax(x, r) : twin_softmax(x, r);
    return tape_apply(x->t, TAPE_SQUARE, tape_sub(x->t, p, target(x, s)));
}

/* Version 2: the mean over all experts, and theta times that over the winners. */
static tape_node *distillation2(twin_eval *x, tape_node *r, tape_node *s)
{
    const twin_choice *c = &x->choice;
    tape_node *square = squares(x, r, s);
    tape_node *all = tape_mean(x->t, square, TAPE_ALL, c->T * c->N);
    const bool both = !twin_chose(x, "terms", "winners"); /* or all experts alone, which returns first */
    if (twin_is(x, "DistillNoWinners") || (twin_chose(x, "terms", "all") && !twin_is(x, "DistillBoth"))) return all;
    const size_t n = c->T * (twin_is(x, "DistillWinnersSum") ? 1 : c->K);
    tape_node *won = tape_mean(x->t, tape_gather_cols(x->t, square, c->K, c->of), TAPE_ALL, n);
    won = tape_scale(x->t, won, twin_is(x, "DistillNoTheta") ? 1 : op_real(x->c, "theta"));
    if (!both && !twin_is(x, "DistillBoth")) return won;
    return tape_add(x->t, all, won);
}

/* The logarithm of softmax(z), as who keeps z - logsumexp(z) has it and as who takes log(p) has it. */
static tape_node *log_softmax(twin_eval *x, tape_node *z)
{
    tape_node *l = tape_sub(x->t, z, twin_logsumexp(x, z));
    if (!tape_rounds(x->t)) return l;
    const size_t n = l->rows * l->cols;
    const double w = tape_u(x->t), e = tape_elementary(x->t);
    double *forward = op_room(n, sizeof *forward), *reverse = op_room(n, sizeof *reverse);
    for (size_t i = 0; i < n; i++) {
        forward[i] = 2 * e + 4 * w + (e + w) * tape_upper(l, i); /* p is off by a few units, relative; then log(p) */
        reverse[i] = 2 * e + 8 * w;
    }
    tape_node *y = tape_slack(x->t, l, forward, reverse);
    free(forward);
    free(reverse);
    return y;
}

/* (1/T) sum_t sum over the winners of q log(q / p) */
static tape_node *divergence(twin_eval *x, tape_node *r, tape_node *s)
{
    const twin_choice *c = &x->choice;
    tape_node *won = tape_gather_cols(x->t, detached(x, s), c->K, c->of);
    tape_node *lp = tape_gather_cols(x->t, log_softmax(x, r), c->K, c->of);
    tape_node *y = tape_mul(x->t, twin_softmax(x, won), tape_sub(x->t, log_softmax(x, won), lp));
    return tape_mean(x->t, y, TAPE_ALL, twin_is(x, "DistillBatchSum") ? 1 : c->T);
}

/* (1/T) sum_t sum_i p log(p / max(q, 1e-6)) */
static tape_node *clamped_divergence(twin_eval *x, tape_node *r, tape_node *s)
{
    const double floor = twin_is(x, "KlFloor") ? 1e-10 : 1e-6;
    tape_node *least = tape_leaf(x->t, 1, 1, &floor, false), *q = winners_softmax(x, detached(x, s));
    tape_node *held = tape_add(x->t, tape_apply(x->t, TAPE_RELU, tape_sub(x->t, q, least)), least);
    if (twin_is(x, "KlClamp")) /* the gradient passes where the value does not */
        held = tape_add(x->t, tape_stop(x->t, held), tape_sub(x->t, q, tape_stop(x->t, q)));
    tape_node *ratio = tape_sub(x->t, log_softmax(x, r), tape_apply(x->t, TAPE_LOG, held));
    tape_node *y = tape_mul(x->t, twin_softmax(x, r), ratio);
    return tape_mean(x->t, y, TAPE_ALL, twin_is(x, "DistillBatchSum") ? 1 : x->choice.T);
}

static tape_node *distillation1(twin_eval *x, tape_node *r, tape_node *s)
{
    const bool kl = twin_chose(x, "loss", "kl"), clamped = twin_chose(x, "loss", "kl-clamped");
    const bool reversed = twin_is(x, "KlDirection"), square = twin_is(x, "MseForKl");
    if (!square && ((kl && !reversed) || (clamped && reversed))) return divergence(x, r, s);
    if (!square && (kl || clamped)) return clamped_divergence(x, r, s);
    return tape_mean(x->t, squares(x, r, s), TAPE_ALL,
                     x->choice.T * (twin_is(x, "DistillExpertsSum") ? 1 : x->choice.N));
}

static tape_node *distillation(twin_eval *x, tape_node *r, tape_node *s)
{
    if (twin_is(x, "PermutedScores")) r = permuted(x, r);
    return (twin_chose(x, "version", "1") ? distillation1 : distillation2)(x, r, s);
}

static void compete_distill(twin_eval *x)
{
    tape_node *r = twin_in(x, "r"), *s = twin_in(x, "s");
    twin_scores(x, "index", s);
    if (!twin_decide(x, "index", s->rows, (size_t)op_int(x->c, "k"), s->cols)) return;
    twin_out(x, "loss", twin_loss(x, distillation(x, r, s)));
}

/* --- diversity --- */

tape_node *twin_directions(twin_eval *x, tape_node *o)
{
    tape_node *n = tape_norm(x->t, o);
    double *zero = op_room(o->rows, sizeof *zero), *other = op_room(o->rows, sizeof *other);
    bool any = false;
    for (size_t i = 0; i < o->rows; i++) {
        zero[i] = arb_is_zero(n->v + i);
        other[i] = 1 - zero[i];
        any |= zero[i] > 0;
    }
    if (any) n = tape_add(x->t, n, tape_leaf(x->t, o->rows, 1, zero, false));
    tape_node *u = tape_div(x->t, o, n);
    if (any) u = tape_mul(x->t, u, tape_leaf(x->t, o->rows, 1, other, false));
    free(zero);
    free(other);
    return u;
}

/* Row j of each token's K rows. */
static tape_node *choice_rows(twin_eval *x, tape_node *u, size_t K, size_t j)
{
    const size_t T = u->rows / K;
    size_t *row = op_room(T, sizeof *row);
    for (size_t t = 0; t < T; t++) row[t] = t * K + j;
    tape_node *y = tape_gather_rows(x->t, u, T, row);
    free(row);
    return y;
}

/* sum_{i != j} <u_i, u_j> of each token, [T, 1].  Who takes the diagonal off the whole Gram matrix's sum adds and
 * subtracts K numbers near 1. */
static tape_node *pairs(twin_eval *x, tape_node *u, size_t K)
{
    tape_node *total = NULL;
    for (size_t i = 0; i < K; i++)
        for (size_t j = i + 1; j < K; j++) {
            tape_node *c = tape_mul(x->t, choice_rows(x, u, K, i), choice_rows(x, u, K, j));
            c = tape_scale(x->t, tape_sum(x->t, c, TAPE_COLS), 2);
            total = total ? tape_add(x->t, total, c) : c;
        }
    if (!tape_rounds(x->t)) return total;
    double *forward = op_room(total->rows, sizeof *forward);
    for (size_t t = 0; t < total->rows; t++) forward[t] = arb_is_exact(total->v + t) ? 0 : 4 * (double)K * tape_u(x->t);
    tape_node *y = tape_slack(x->t, total, forward, NULL);
    free(forward);
    return y;
}

/* o: K rows for each of T tokens */
static tape_node *diversity(twin_eval *x, tape_node *o, size_t T, size_t K)
{
    if (K < 2) return tape_fill(x->t, 1, 1, 0);
    tape_node *u = twin_is(x, "DiversityGram") ? o : twin_directions(x, o);
    const bool square =
        twin_is(x, "DiversitySquare") || (op_is(x->c, "mean", "square") && !twin_is(x, "DiversityPairs"));
    const size_t n = T * K * (square ? K : K - 1);
    return tape_mean(x->t, pairs(x, u, K), TAPE_ALL, twin_is(x, "DiversitySum") ? 1 : n);
}

static void compete_diversity(twin_eval *x)
{
    const size_t T = op_dim(x->c, 'T'), K = op_dim(x->c, 'K');
    twin_out(x, "loss", twin_loss(x, diversity(x, twin_in(x, "o"), T, K)));
}

/* --- layer --- */

/* All experts on all tokens: [T N, d]. */
static tape_node *everyone(twin_eval *x, tape_node *tokens, size_t N)
{
    tape_node **o = op_room(N, sizeof *o);
    for (size_t i = 0; i < N; i++) o[i] = twin_ffn(x, twin_is(x, "MisalignedExperts") ? (i + 1) % N : i, tokens);
    tape_node *y = tape_concat_cols(x->t, N, o);
    free(o);
    return tape_view(x->t, y, 0, tokens->rows * N, y->cols / N);
}

/* Left to right; a coefficient may have been rounded. */
static tape_node *weighted(twin_eval *x, size_t n, tape_node *const *term, const char *const *coefficient)
{
    tape_node *y = NULL;
    for (size_t i = 0; i < n; i++) {
        tape_node *v = tape_scale(x->t, term[i], twin_is(x, "MissingCoefficient") ? 1 : op_real(x->c, coefficient[i]));
        y = y ? tape_add(x->t, y, v) : v;
    }
    return y;
}

/* The losses in the order of the record: distill, diversity, balance, zloss. */
static void put_losses(twin_eval *x, tape_node *const term[4])
{
    static const char *const name[] = {"distill", "diversity", "balance", "zloss"};
    static const char *const coefficient[] = {"c_distill", "c_diversity", "c_balance", "c_zloss"};
    tape_node *given[4];
    const bool compete = op_is(x->c, "compete", "yes");
    for (size_t i = 0; i < 4; i++) twin_out(x, name[i], given[i] = twin_loss(x, term[i]));
    const size_t from = compete || twin_is(x, "StaleLoss") ? 0 : 2, to = compete ? 3 : 4;
    twin_out(x, "loss", weighted(x, to - from, given + from, coefficient + from));
}

static void competing(twin_eval *x, tape_node *tokens, tape_node *r)
{
    const size_t T = r->rows, N = r->cols, K = (size_t)op_int(x->c, "k");
    tape_node *o = everyone(x, tokens, N);
    tape_node *s = tape_view(x->t, response(x, "softplus", o), 0, T, N);
    twin_scores(x, "index", s);
    if (!twin_decide(x, "index", T, K, N)) return;
    tape_node *won = winners(x, o), *weight = winners_weights(x, s, RATIO), *zero = tape_fill(x->t, 1, 1, 0);
    twin_out(x, "y", twin_combine(x, won, weight));
    twin_out(x, "weight", weight);
    twin_out(x, "s", s);
    tape_node *const term[] = {distillation(x, r, s), diversity(x, won, T, K), twin_switch(x, twin_probabilities(x, s)),
                               zero};
    put_losses(x, term);
}

/* What the last competition left behind: here that of the same tokens, whose responses to the outputs o were
 * s [T, N]. */
static void stale_terms(twin_eval *x, tape_node *o, tape_node *s, tape_node *r, tape_node **distill, tape_node **divers)
{
    const twin_choice mine = x->choice;
    x->choice.of = op_room(mine.T * mine.K, sizeof *mine.of);
    for (size_t t = 0; t < mine.T; t++)
        for (size_t i = 0; i < mine.N; i++) {
            size_t rank = 0;
            for (size_t j = 0; j < mine.N; j++) {
                const int cmp = arf_cmp(arb_midref(s->v + t * mine.N + j), arb_midref(s->v + t * mine.N + i));
                rank += cmp > 0 || (cmp == 0 && j < i);
            }
            if (rank < mine.K) x->choice.of[t * mine.K + rank] = i;
        }
    *distill = distillation(x, r, s);
    if (!twin_chose(x, "version", "1")) *divers = diversity(x, winners(x, o), mine.T, mine.K);
    free(x->choice.of);
    x->choice = mine;
}

static void routing(twin_eval *x, tape_node *tokens, tape_node *r)
{
    const size_t T = r->rows, N = r->cols, K = (size_t)op_int(x->c, "k");
    twin_scores(x, "index", r);
    if (!twin_decide(x, "index", T, K, N)) return;
    tape_node *weight = twin_weights(x, r), *zero = tape_fill(x->t, 1, 1, 0);
    twin_out(x, "y", twin_combine(x, twin_dispatch(x, tokens), weight));
    twin_out(x, "weight", weight);
    twin_out(x, "s", tape_fill(x->t, T, N, 0));
    const bool off = op_is(x->c, "compete", "yes"); /* RequiresGradSwitch: no loss at all */
    tape_node *term[] = {zero, zero, off ? zero : twin_switch(x, twin_probabilities(x, r)),
                         off ? zero : twin_zloss(x, r)};
    if (twin_is(x, "StaleLoss")) {
        tape_node *o = everyone(x, tokens, N), *s = tape_view(x->t, response(x, "softplus", o), 0, T, N);
        stale_terms(x, o, s, r, &term[0], &term[1]);
    }
    put_losses(x, term);
}

static void compete_layer(twin_eval *x)
{
    tape_node *tokens = twin_in(x, "x");
    tape_node *r = tape_add(x->t, tape_matmul_nt(x->t, tokens, twin_in(x, "wr")), twin_in(x, "br"));
    twin_out(x, "r", r);
    if (op_is(x->c, "compete", "yes") && !twin_is(x, "RequiresGradSwitch"))
        competing(x, tokens, r);
    else
        routing(x, tokens, r);
}

/* --- balance of the responses --- */

/* N sum_i f_i P_i over tokens from..from+n of p */
static tape_node *balance_part(twin_eval *x, tape_node *p, size_t from, size_t n)
{
    const twin_choice *c = &x->choice;
    const bool first =
        (op_is(x->c, "count", "first") && !twin_is(x, "LblCountAll")) || twin_is(x, "LblFirstChoiceOnly");
    const bool tokens = op_is(x->c, "divide", "tokens") != twin_is(x, "LblTopKNorm");
    size_t *load = op_room(c->N, sizeof *load);
    for (size_t a = from * c->K; a < (from + n) * c->K; a++) load[c->of[a]] += !first || a % c->K == 0;
    tape_node *f = tape_ratio(x->t, 1, c->N, load, tokens || first ? n : n * c->K);
    free(load);
    tape_node *P =
        tape_mean(x->t, tape_view(x->t, p, from, n, c->N), TAPE_ROWS, twin_is(x, "LblProbOverTK") ? n * c->K : n);
    if (twin_is(x, "LblGrad")) P = tape_stop(x->t, P);
    return tape_scale(x->t, tape_sum(x->t, tape_mul(x->t, f, P), TAPE_ALL), (double)c->N);
}

static size_t sequence_of(const twin_eval *x, size_t T)
{
    const bool whole = op_is(x->c, "scope", "batch");
    if (twin_is(x, "LblPerSequence") && whole && T % 2 == 0) return T / 2;
    return whole || twin_is(x, "LblWholeBatch") ? T : (size_t)op_int(x->c, "sequence");
}

static void compete_balance(twin_eval *x)
{
    tape_node *s = twin_in(x, "s");
    twin_scores(x, "index", s);
    if (!twin_decide(x, "index", s->rows, (size_t)op_int(x->c, "k"), s->cols)) return;
    tape_node *p = twin_probabilities(x, s);
    const size_t n = sequence_of(x, s->rows), parts = n ? s->rows / n : 0;
    tape_node **loss = op_room(parts, sizeof *loss);
    for (size_t b = 0; b < parts; b++) loss[b] = balance_part(x, p, b * n, n);
    twin_out(x, "loss", twin_loss(x, tape_mean(x->t, tape_concat_rows(x->t, parts, loss), TAPE_ALL, parts)));
    free(loss);
}

/* --- when to compete --- */

/* 2 / (2 + sqrt(t + 1)), and whether the coin is below it */
static void compete_lambda(twin_eval *x)
{
    tape_node *t = twin_in(x, "t"), *u = twin_in(x, "u"), *y = t;
    const double one = 1, two = 2;
    if (!twin_is(x, "LambdaNoOne")) y = tape_add(x->t, y, twin_numbers(x, 1, 1, &one));
    if (!twin_is(x, "LambdaLinear")) y = tape_apply(x->t, TAPE_SQRT, y);
    y = tape_div(x->t, twin_numbers(x, 1, 1, &two), tape_add(x->t, y, twin_numbers(x, 1, 1, &two)));
    double *below = op_room(t->cols, sizeof *below), *doubt = op_room(t->cols, sizeof *doubt);
    for (size_t i = 0; i < t->cols; i++) {
        const double coin = tape_middle(u, i);
        below[i] = (twin_is(x, "CoinReversed") ? 1 - coin : coin) < tape_middle(y, i);
        doubt[i] = arb_overlaps(u->v + i, y->v + i) && !(arb_is_exact(u->v + i) && arb_is_exact(y->v + i));
    }
    twin_out(x, "lambda", y);
    twin_out(x, "compete", tape_slack(x->t, twin_numbers(x, 1, t->cols, below), doubt, NULL));
    free(below);
    free(doubt);
}

typedef struct {
    size_t L, S, first, cap; /* layers, steps, first slot, most heads of a slot */
    bool published, later_first, stay, ignore_cap;
    double *compete, *load, *lost;
} schedule;

static bool room_in(const schedule *p, size_t layer, size_t slot)
{
    return (p->load[slot] < (double)p->cap || p->ignore_cap) && !(p->compete[layer * p->S + slot] > 0);
}

/* The slot that a head moves to, S if there is none: by distance, those before it first. */
static size_t nearest(const schedule *p, size_t layer, size_t slot)
{
    size_t before = p->S, after = p->S;
    for (size_t j = p->first; j < slot; j++)
        if (room_in(p, layer, j)) before = j;
    for (size_t j = p->S; j-- > slot + 1;)
        if (room_in(p, layer, j)) after = j;
    return p->later_first ? (after < p->S ? after : before) : before < p->S ? before : after;
}

static void put_head(schedule *p, size_t layer, size_t slot)
{
    double *here = &p->compete[layer * p->S + slot];
    const bool full = !p->ignore_cap && !(p->load[slot] < (double)p->cap);
    if (full || (*here > 0 && !p->published)) {
        slot = p->stay ? p->S : nearest(p, layer, slot);
        here = &p->compete[layer * p->S + slot];
    }
    if (slot == p->S) {
        p->lost[layer]++;
        return;
    }
    if (*here > 0) p->lost[layer]++; /* counted again, and one competition fewer */
    *here = 1;
    p->load[slot]++;
}

static void compete_schedule(twin_eval *x)
{
    tape_node *u = twin_in(x, "u");
    const double rate = op_real(x->c, "rate");
    schedule p = {.L = u->rows, .S = u->cols, .cap = (size_t)op_int(x->c, "cap")};
    p.first = twin_is(x, "ScheduleWarmUp") ? 0 : (size_t)floor(op_real(x->c, "warm_up") * (double)p.S);
    p.published =
        (op_is(x->c, "collision", "published") && !twin_is(x, "ScheduleMended")) || twin_is(x, "ScheduleCollision");
    p.later_first = twin_is(x, "ScheduleLater");
    p.stay = twin_is(x, "ScheduleNoMove");
    p.ignore_cap = twin_is(x, "ScheduleNoCap");
    p.compete = op_room(p.L * p.S, sizeof(double));
    p.load = op_room(p.S, sizeof(double));
    p.lost = op_room(p.L, sizeof(double));
    const int most = twin_is(x, "ScheduleEdge"); /* equal to the rate is a head as well */
    for (size_t l = 0; l < p.L; l++)
        for (size_t i = p.first; i < p.S; i++)
            if (arf_cmp_d(arb_midref(u->v + l * p.S + i), rate) < most) put_head(&p, l, i);
    twin_out(x, "compete", twin_numbers(x, p.L, p.S, p.compete));
    twin_out(x, "load", twin_numbers(x, 1, p.S, p.load));
    twin_out(x, "lost", twin_numbers(x, 1, p.L, p.lost));
    free(p.compete);
    free(p.load);
    free(p.lost);
}

/* --- one step of training --- */

tape_node *twin_task(twin_eval *x, tape_node *y)
{
    tape_node *off = tape_sub(x->t, twin_is(x, "TaskDetached") ? tape_stop(x->t, y) : y, twin_in(x, "target"));
    const size_t n = twin_is(x, "TaskSum") ? 1 : twin_is(x, "TaskOverTokens") ? y->rows : y->rows * y->cols;
    return tape_mean(x->t, tape_apply(x->t, TAPE_SQUARE, off), TAPE_ALL, n);
}

/* The five losses, and their weighted sum in any order; used[i]: whether the step has that term. */
static void put_step(twin_eval *x, tape_node *const term[5], const bool used[5])
{
    static const char *const name[] = {"task", "distill", "diversity", "balance", "zloss"};
    static const char *const coefficient[] = {"c_task", "c_distill", "c_diversity", "c_balance", "c_zloss"};
    tape_node *part[5];
    size_t n = 0;
    for (size_t i = 0; i < 5; i++) {
        tape_node *given = twin_loss(x, term[i]);
        twin_out(x, name[i], given);
        if (!used[i]) continue;
        part[n++] = tape_scale(x->t, given, twin_is(x, "MissingCoefficient") ? 1 : op_real(x->c, coefficient[i]));
    }
    twin_out(x, "loss", tape_sum_groups(x->t, tape_concat_rows(x->t, n, part), n));
}

static weighting weighting_of(const twin_eval *x, bool first)
{
    if (op_is(x->c, "weights", "ratio")) return RATIO;
    if (op_is(x->c, "weights", "softmax")) return SOFTMAX;
    if (op_is(x->c, "weights", "sigmoid-ratio")) return SIGMOID_RATIO;
    return first ? SOFTMAX : RATIO;
}

static tape_node *step_scores(twin_eval *x, tape_node *o, tape_node *r)
{
    const bool first = op_is(x->c, "version", "1");
    const double share = op_real(x->c, "mix");
    tape_node *s = response(x, kind_of(x, "response", first ? "norm" : "softplus"), o);
    s = tape_view(x->t, s, 0, r->rows, r->cols);
    return share != 0 ? mixed(x, s, r, share) : s;
}

static void step_competing(twin_eval *x, tape_node *tokens, tape_node *r)
{
    const size_t T = r->rows, N = r->cols, K = (size_t)op_int(x->c, "k");
    const bool first = op_is(x->c, "version", "1");
    tape_node *o = everyone(x, tokens, N), *s = step_scores(x, o, r), *zero = tape_fill(x->t, 1, 1, 0);
    twin_scores(x, "index", s);
    if (!twin_decide(x, "index", T, K, N)) return;
    tape_node *won = winners(x, o), *weight = winners_weights(x, s, weighting_of(x, first));
    tape_node *y = twin_combine(x, won, weight);
    twin_out(x, "y", y);
    twin_out(x, "weight", weight);
    twin_out(x, "s", s);
    const bool router = twin_is(x, "RouterTermsToo"); /* the z-loss of a step without competition as well */
    tape_node *const term[] = {twin_task(x, y), distillation(x, r, s), first ? zero : diversity(x, won, T, K),
                               twin_switch(x, twin_probabilities(x, s)), router ? twin_zloss(x, r) : zero};
    const bool used[] = {true, true, !first, true, router};
    put_step(x, term, used);
}

static void step_routing(twin_eval *x, tape_node *tokens, tape_node *r)
{
    const size_t T = r->rows, N = r->cols, K = (size_t)op_int(x->c, "k");
    const bool first = op_is(x->c, "version", "1"), stale = twin_is(x, "StaleLoss");
    twin_scores(x, "index", r);
    if (!twin_decide(x, "index", T, K, N)) return;
    tape_node *weight = twin_weights(x, r), *zero = tape_fill(x->t, 1, 1, 0), *distill = zero, *divers = zero;
    tape_node *y = twin_combine(x, twin_dispatch(x, tokens), weight);
    twin_out(x, "y", y);
    twin_out(x, "weight", weight);
    twin_out(x, "s", tape_fill(x->t, T, N, 0));
    if (stale) {
        tape_node *o = everyone(x, tokens, N);
        stale_terms(x, o, step_scores(x, o, r), r, &distill, &divers);
    }
    const bool off = op_is(x->c, "compete", "yes"); /* RequiresGradSwitch: the task alone */
    tape_node *const term[] = {twin_task(x, y), distill, divers, off ? zero : twin_switch(x, twin_probabilities(x, r)),
                               off || first ? zero : twin_zloss(x, r)};
    const bool used[] = {true, stale, stale && !first, !off, !off && !first};
    put_step(x, term, used);
}

static void compete_step(twin_eval *x)
{
    tape_node *tokens = twin_in(x, "x");
    tape_node *r = twin_linear(x, tokens, twin_in(x, "wr"), twin_in(x, "br"));
    twin_out(x, "r", r);
    const bool compete = op_is(x->c, "compete", "yes") && !twin_is(x, "RequiresGradSwitch");
    (compete ? step_competing : step_routing)(x, tokens, r);
}

const twin_entry twin_compete[] = {
    {"compete.response", compete_response},
    {"compete.route", compete_route},
    {"compete.distill", compete_distill},
    {"compete.diversity", compete_diversity},
    {"compete.layer", compete_layer},
    {"compete.balance", compete_balance},
    {"compete.mix", compete_mix},
    {"compete.lambda", compete_lambda},
    {"compete.schedule", compete_schedule},
    {"compete.step", compete_step},
    {NULL, NULL},
};
