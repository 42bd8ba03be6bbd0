/* The twin of spec/02-gate.md, from the jitter on (G.5).  The linear gate and the three orders are in twin_expert.c. */
#include "twin_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- what several gates share --- */

/* A number that a candidate reads in its own format. */
static tape_node *number(twin_eval *x, double v) { return tape_leaf(x->t, 1, 1, &v, false); }

/* A table of exact numbers, which is given up. */
static tape_node *table(twin_eval *x, size_t rows, size_t cols, double *v)
{
    tape_node *y = tape_leaf(x->t, rows, cols, v, false);
    free(v);
    return y;
}

/* Reads the decision [T, K] on these scores; false if the case has none. */
static bool select_on(twin_eval *x, tape_node *scores, size_t K)
{
    twin_scores(x, "index", scores);
    return twin_decide(x, "index", scores->rows, K, scores->cols);
}

static tape_node *chosen(twin_eval *x, tape_node *s) { return tape_gather_cols(x->t, s, x->choice.K, x->choice.of); }

/* Each row from its last element to its first. */
static tape_node *backwards(twin_eval *x, tape_node *a)
{
    size_t *col = op_room(a->rows * a->cols, sizeof *col);
    for (size_t e = 0; e < a->rows * a->cols; e++) col[e] = a->cols - 1 - e % a->cols;
    tape_node *y = tape_gather_cols(x->t, a, a->cols, col);
    free(col);
    return y;
}

/* v / sum(v) in each row.  LblEpsHack: with a small number in the denominator. */
static tape_node *normalised(twin_eval *x, tape_node *v)
{
    tape_node *sum = tape_sum(x->t, v, TAPE_COLS);
    if (twin_is(x, "LblEpsHack"))
        sum = tape_add(x->t, sum, tape_fill(x->t, 1, 1, strcmp(x->c->op->id, "gate.gshard") == 0 ? 1e-9 : 0x1p-23));
    if (twin_is(x, "NormaliserDetached")) sum = tape_stop(x->t, sum);
    return tape_div(x->t, v, sum);
}

/* Softmax over the chosen scores.  Right as well, and rounded more: the chosen probabilities over their sum. */
static tape_node *softmax_of_chosen(twin_eval *x, tape_node *s)
{
    if (twin_is(x, "DoubleSoftmaxWeights")) return twin_softmax(x, chosen(x, twin_softmax(x, s)));
    if (twin_is(x, "NormTopK/softmax-topk")) return chosen(x, twin_softmax(x, s));
    if (!tape_rounds(x->t)) return twin_softmax(x, chosen(x, s));
    return normalised(x, chosen(x, twin_softmax(x, s)));
}

/* The weights as they are given out: SwappedWeights has them backwards in each row. */
static void weights_out(twin_eval *x, tape_node *weight)
{
    if (twin_is(x, "SwappedWeights")) weight = backwards(x, weight);
    twin_out(x, "weight", weight);
}

static size_t k_of(const twin_eval *x) { return (size_t)op_int(x->c, "k"); }

/* --- gate.jitter (G.5) --- */

/* The first n columns of a, from the start again where there are fewer. */
static tape_node *columns_in_turn(twin_eval *x, tape_node *a, size_t n)
{
    size_t *col = op_room(a->rows * n, sizeof *col);
    for (size_t e = 0; e < a->rows * n; e++) col[e] = e % n % (a->cols ? a->cols : 1);
    tape_node *y = tape_gather_cols(x->t, a, n, col);
    free(col);
    return y;
}

static void gate_jitter(twin_eval *x)
{
    tape_node *tokens = twin_in(x, "x"), *noise = twin_in(x, "noise"), *shaken = tape_mul(x->t, tokens, noise);
    if (twin_is(x, "JitterIgnored") || twin_is(x, "JitterAdded") || twin_is(x, "JitterLogits")) shaken = tokens;
    if (twin_is(x, "JitterGrad")) /* the product's value, the token's own gradient */
        shaken = tape_add(x->t, tokens, tape_stop(x->t, tape_sub(x->t, shaken, tokens)));
    tape_node *r = tape_matmul_nt(x->t, shaken, twin_in(x, "wr"));
    if (!twin_is(x, "MissingBias")) r = tape_add(x->t, r, twin_in(x, "br"));
    if (twin_is(x, "JitterAdded")) r = tape_add(x->t, r, columns_in_turn(x, noise, r->cols));
    if (twin_is(x, "JitterLogits")) r = tape_mul(x->t, r, columns_in_turn(x, noise, r->cols));
    twin_out(x, "r", r);
}

/* --- gate.noisy (G.6) --- */

static tape_node *deviation(twin_eval *x, tape_node *tokens)
{
    tape_node *raw = tape_matmul_nt(x->t, tokens, twin_in(x, "wn"));
    tape_node *std = tape_apply(x->t, twin_is(x, "SoftplusThreshold") ? TAPE_SOFTPLUS20 : TAPE_SOFTPLUS, raw);
    if (twin_is(x, "NoisyStd")) std = raw;
    double epsilon = op_real(x->c, "epsilon");
    if (twin_is(x, "NoisyEpsilon")) epsilon += 0.01;
    if (twin_is(x, "NoisyEpsilonMissing")) epsilon = 0;
    return epsilon == 0 ? std : tape_add(x->t, std, number(x, epsilon));
}

static void gate_noisy(twin_eval *x)
{
    tape_node *tokens = twin_in(x, "x"), *clean = tape_matmul_nt(x->t, tokens, twin_in(x, "wg"));
    tape_node *std = deviation(x, tokens), *spread = twin_is(x, "NoiseGrad") ? tape_stop(x->t, std) : std;
    tape_node *noisy = tape_add(x->t, clean, tape_mul(x->t, twin_in(x, "noise"), spread));
    if (twin_is(x, "NoiseIgnored")) noisy = clean;
    twin_out(x, "clean", clean);
    twin_out(x, "std", std);
    twin_out(x, "noisy", noisy);
    if (!select_on(x, noisy, k_of(x))) return;
    weights_out(x, softmax_of_chosen(x, twin_is(x, "NoisyWeights") ? clean : noisy));
}

/* --- gate.sigmoid (G.7) --- */

/* The chosen affinities, over their sum if that is asked for. */
static tape_node *affinity_weights(twin_eval *x, tape_node *s)
{
    const bool asked = op_is(x->c, "normalise", "yes");
    const bool over_sum = (asked && !twin_is(x, "SigmoidUnnormalised")) || (!asked && twin_is(x, "SigmoidNormalised"));
    tape_node *g = chosen(x, s);
    return over_sum ? normalised(x, g) : g;
}

static void gate_sigmoid(twin_eval *x)
{
    tape_node *r = twin_in(x, "r");
    if (!select_on(x, r, k_of(x))) return;
    if (twin_is(x, "SigmoidSoftmax"))
        weights_out(x, twin_softmax(x, chosen(x, r)));
    else
        weights_out(x, affinity_weights(x, tape_apply(x->t, TAPE_SIGMOID, r)));
}

/* --- gate.dropout, gate.dropout.schedule (G.8, G.9) --- */

static void gate_dropout(twin_eval *x)
{
    tape_node *tokens = twin_in(x, "x");
    if (twin_is(x, "FrozenDetach")) tokens = tape_stop(x->t, tokens);
    tape_node *r = tape_matmul_nt(x->t, tokens, twin_in(x, "wr"));
    twin_out(x, "r", r);
    if (select_on(x, r, k_of(x))) weights_out(x, softmax_of_chosen(x, r));
}

/* n / d for n >= 0 to the nearest integer; a half goes to the even neighbour, or up. */
static int64_t nearest(int64_t n, int64_t d, bool even)
{
    const int64_t q = n / d, twice = 2 * (n % d);
    if (twice != d) return q + (twice > d);
    return even ? q + (q & 1) : q + 1;
}

static int64_t scheduled(const twin_eval *x, int64_t step)
{
    const int64_t low = op_int(x->c, "k_min"), high = op_int(x->c, "k_max"), steps = op_int(x->c, "steps");
    const int64_t last = twin_is(x, "ScheduleClamp") ? INT64_C(1) << 40 : steps; /* not at all, for any honest step */
    const bool even = op_is(x->c, "round", "even") != twin_is(x, "ScheduleRound");
    const int64_t t = step < 0 ? 0 : step > last ? last : step;
    const int64_t gained = high >= low ? (high - low) * t : (low - high) * t; /* magnitude: halves go away from 0 */
    const int64_t k = twin_is(x, "ScheduleFloor") ? gained / steps : nearest(gained, steps, even);
    return high >= low ? low + k : low - k;
}

static void gate_dropout_schedule(twin_eval *x)
{
    const int64_t *step = op_in_i64(x->c, "step");
    const size_t n = op_dim(x->c, 'n');
    double *k = op_room(n, sizeof *k);
    for (size_t i = 0; i < n; i++) k[i] = (double)scheduled(x, step[i]);
    tape_node *y = tape_fill(x->t, 1, n, 0);
    for (size_t i = 0; i < n; i++) arb_set_d(y->v + i, k[i]); /* integers, whatever the format */
    free(k);
    twin_out(x, "k", y);
}

/* --- gate.gshard (G.10) --- */

/* 1 if v > limit, 0 if not, 1/2 where the ball leaves it open.  Without rounding the centre decides. */
static double exceeds(const twin_eval *x, const tape_node *v, size_t e, double factor, double limit)
{
    const double middle = factor * tape_middle(v, e);
    if (tape_rounds(x->t)) {
        const double r = factor * mag_get_d(arb_radref(v->v + e)) + tape_u(x->t) * fabs(limit);
        if (!(fabs(middle - limit) > r)) return 0.5; /* a share of which nothing is known, too */
    }
    return middle > limit;
}

/* Is the second choice of token t sent?  By its share among the two, and what that has to exceed. */
static double second_is_sent(const twin_eval *x, const tape_node *share, size_t t)
{
    const size_t e = 2 * t + 1;
    if (twin_is(x, "SecondAlways") || op_is(x->c, "policy", "all")) return 1;
    if (op_is(x->c, "policy", "none")) return 0;
    if (op_is(x->c, "policy", "threshold")) return exceeds(x, share, e, 1, op_real(x->c, "threshold"));
    return exceeds(x, share, e, twin_is(x, "GshardSecond") ? 1 : 2, op_in(x->c, "u")[t]);
}

/* How many places of an expert are taken, at least and at most. */
typedef struct {
    size_t least, most;
} taken;

static double take_place(taken *n, size_t capacity, double sent)
{
    if (sent == 0 || (capacity > 0 && n->least >= capacity)) return 0;
    const bool sure = sent == 1 && (capacity == 0 || n->most < capacity);
    n->least += sure;
    n->most++;
    return sure ? 1 : 0.5;
}

/* 1 where a choice is sent and finds a place, 0 where not, 1/2 where it is not known, [T, 2]; by normalised weights. */
static double *places(const twin_eval *x, const tape_node *share)
{
    const twin_choice *c = &x->choice;
    const size_t capacity = twin_is(x, "CapacityDrop") ? 0 : (size_t)op_int(x->c, "capacity");
    double *kept = op_room(2 * c->T, sizeof *kept);
    taken *n = op_room(c->N, sizeof *n);
    for (size_t t = 0; t < c->T; t++) {
        kept[2 * t] = 1;
        kept[2 * t + 1] = second_is_sent(x, share, t);
    }
    for (size_t a = 0; a < 2 * c->T; a++) { /* first choices of all tokens before second ones */
        const size_t t = a % c->T, j = a / c->T;
        size_t e = 2 * t + j;
        if (twin_is(x, "GshardOrder")) e = a; /* token by token */
        if (twin_is(x, "GshardLastFirst")) e = 2 * (c->T - 1 - t) + j; /* the last token first */
        kept[e] = take_place(&n[c->of[e]], capacity, kept[e]);
    }
    free(n);
    return kept;
}

/* The flags as a node: 1/2 is anything from 0 to 1. */
static tape_node *flags(twin_eval *x, size_t T, const double *flag)
{
    double *blur = op_room(2 * T, sizeof *blur);
    for (size_t e = 0; e < 2 * T; e++) blur[e] = flag[e] > 0 && flag[e] < 1 ? 0.5 : 0;
    tape_node *y = tape_slack(x->t, tape_leaf(x->t, T, 2, flag, false), blur, NULL);
    free(blur);
    return y;
}

/* g kept / sum(g kept) in each row; 0 where nothing is kept. */
static tape_node *shares_of_kept(twin_eval *x, tape_node *g, tape_node *kept, const double *flag)
{
    tape_node *left = tape_mul(x->t, g, kept), *sum = tape_sum(x->t, left, TAPE_COLS);
    double *lost = op_room(g->rows, sizeof *lost);
    bool any = false;
    for (size_t t = 0; t < g->rows; t++) {
        lost[t] = flag[2 * t] == 0 && flag[2 * t + 1] == 0;
        any |= lost[t] != 0;
    }
    tape_node *instead = table(x, g->rows, 1, lost);
    return tape_div(x->t, left, any ? tape_add(x->t, sum, instead) : sum);
}

static void gate_gshard(twin_eval *x)
{
    tape_node *r = twin_in(x, "r");
    if (!select_on(x, r, 2)) return;
    tape_node *g = chosen(x, twin_softmax(x, r)), *share = normalised(x, g);
    double *flag = places(x, share);
    tape_node *kept = flags(x, x->choice.T, flag);
    const bool after = op_is(x->c, "normalise", "after") != twin_is(x, "GshardRenorm");
    tape_node *weight = after ? shares_of_kept(x, g, kept, flag) : tape_mul(x->t, share, kept);
    if (twin_is(x, "NormTopK/softmax-topk")) weight = tape_mul(x->t, g, kept);
    if (twin_is(x, "GshardDropped")) weight = share;
    if (twin_is(x, "GshardGrad")) /* the right value; what is dropped has a gradient all the same */
        weight = tape_add(x->t, share, tape_stop(x->t, tape_sub(x->t, weight, share)));
    twin_out(x, "kept", kept);
    weights_out(x, weight);
    free(flag);
}

/* --- gate.hyper (G.11) --- */

/* ReLU with slope 1 at 0. */
static tape_node *open_relu(twin_eval *x, tape_node *a)
{
    double *on = op_room(a->rows * a->cols, sizeof *on);
    for (size_t e = 0; e < a->rows * a->cols; e++) on[e] = tape_middle(a, e) >= 0;
    return tape_mul(x->t, a, table(x, a->rows, a->cols, on));
}

/* v2 z, row by row.  Also right: x v2 first, and then z; its errors are those of the products' magnitudes, even where
 * this order makes none. */
static tape_node *generated(twin_eval *x, tape_node *v2, tape_node *z)
{
    tape_node *w = tape_matmul_nt(x->t, v2, z);
    if (!tape_rounds(x->t)) return w;
    const double u = tape_u(x->t);
    double *forward = op_room(w->rows, sizeof *forward), *reverse = op_room(w->rows, sizeof *reverse);
    for (size_t i = 0; i < v2->rows; i++) {
        for (size_t a = 0; a < v2->cols; a++) forward[i] += 2 * u * tape_upper(v2, i * v2->cols + a) * tape_upper(z, a);
        reverse[i] = 2 * u;
    }
    tape_node *y = tape_slack(x->t, w, forward, reverse);
    free(forward);
    free(reverse);
    return y;
}

static void gate_hyper(twin_eval *x)
{
    tape_node *e = twin_in(x, "e"), *v1 = twin_in(x, "v1");
    const bool turned = twin_is(x, "HyperTransposed") && v1->rows == v1->cols;
    tape_node *z = turned ? tape_matmul_nn(x->t, e, v1) : tape_matmul_nt(x->t, e, v1); /* [1, g] */
    if (!twin_is(x, "HyperLinear")) z = twin_is(x, "ReluKink") ? open_relu(x, z) : tape_apply(x->t, TAPE_RELU, z);
    if (twin_is(x, "HyperDetach")) z = tape_stop(x->t, z);
    tape_node *w = generated(x, twin_in(x, "v2"), z); /* [N d, 1] */
    w = tape_view(x->t, w, 0, op_dim(x->c, 'N'), op_dim(x->c, 'd'));
    twin_out(x, "r", tape_matmul_nt(x->t, twin_in(x, "x"), w));
}

/* --- gate.xmoe (G.12) --- */

/* norm <z, e> / (|z| |e|), or with z as it is. */
static tape_node *cosines(twin_eval *x, tape_node *z)
{
    const bool raw = op_is(x->c, "input", "raw") ? !twin_is(x, "NormalisedInput") : twin_is(x, "UnnormalisedCosine");
    const double norm = op_real(x->c, "norm");
    tape_node *u = raw ? z : twin_directions(x, z), *e = twin_directions(x, twin_in(x, "e"));
    if (twin_is(x, "UnnormalisedEmbedding")) e = twin_in(x, "e");
    tape_node *s = tape_matmul_nt(x->t, u, e);
    return norm == 1 || twin_is(x, "MissingNorm") ? s : tape_scale(x->t, s, norm);
}

static void gate_xmoe(twin_eval *x)
{
    tape_node *s = cosines(x, tape_matmul_nt(x->t, twin_in(x, "x"), twin_in(x, "w")));
    twin_out(x, "s", s);
    if (!select_on(x, s, k_of(x))) return;
    tape_node *tau = twin_in(x, "tau");
    if (twin_is(x, "TemperatureDetached")) tau = tape_stop(x->t, tau);
    tape_node *hot = twin_is(x, "MissingTemperature") ? s : tape_div(x->t, s, tau);
    const bool sigmoid =
        op_is(x->c, "gate", "sigmoid") ? !twin_is(x, "XmoeSoftmaxGate") : twin_is(x, "XmoeSigmoidGate");
    tape_node *g = chosen(x, sigmoid ? tape_apply(x->t, TAPE_SIGMOID, hot) : twin_softmax(x, hot));
    if (twin_is(x, "DoubleSoftmaxWeights")) g = twin_softmax(x, g);
    if (twin_is(x, "TopOneZeroGrad")) g = twin_softmax(x, chosen(x, hot));
    weights_out(x, g);
}

/* --- gate.perturbed (G.13) --- */

/* Rows v / (|v| + tau). */
static tape_node *shortened(twin_eval *x, tape_node *v, double tau)
{
    if (tau == 0) return twin_directions(x, v);
    return tape_div(x->t, v, tape_add(x->t, tape_norm(x->t, v), number(x, tau)));
}

/* MutatingEval: the embeddings as one evaluation leaves them behind, 1.5 e / (|e| + 0.1), outside of any gradient. */
static tape_node *rescaled(twin_eval *x, tape_node *e)
{
    tape_node *moved = tape_scale(x->t, shortened(x, tape_stop(x->t, e), 0.1), 1.5);
    return tape_add(x->t, e, tape_stop(x->t, tape_sub(x->t, moved, e)));
}

static void gate_perturbed(twin_eval *x)
{
    const bool plain = twin_is(x, "MissingDamping");
    const double tau1 = plain ? 0 : op_real(x->c, "tau1"), tau2 = plain ? 0 : op_real(x->c, "tau2");
    tape_node *beta = twin_in(x, "beta"), *tokens = twin_in(x, "x");
    if (twin_is(x, "MutatingEval")) beta = rescaled(x, beta);
    if (twin_is(x, "DampedProduct")) { /* <beta, x> / (|beta| |x| + tau1) */
        tape_node *sizes = tape_matmul_nt(x->t, tape_norm(x->t, tokens), tape_norm(x->t, beta));
        sizes = tape_add(x->t, sizes, number(x, tau1));
        twin_out(x, "r", tape_div(x->t, tape_matmul_nt(x->t, tokens, beta), sizes));
        return;
    }
    if (!twin_is(x, "UnnormalisedCosine")) tokens = shortened(x, tokens, twin_is(x, "SwappedTau") ? tau1 : tau2);
    twin_out(x, "r", tape_matmul_nt(x->t, tokens, shortened(x, beta, twin_is(x, "SwappedTau") ? tau2 : tau1)));
}

/* --- gate.stable, gate.stable.distill (G.14, G.15) --- */

static void gate_stable(twin_eval *x)
{
    tape_node *s = tape_matmul_nt(x->t, twin_in(x, "x"), twin_in(x, "e")), *distilled = twin_in(x, "shat");
    const bool first = op_is(x->c, "stage", "1");
    twin_out(x, "s", s);
    if (!select_on(x, first != twin_is(x, "StageConfused") ? s : distilled, 1)) return;
    tape_node *a = chosen(x, !first && twin_is(x, "DistilledWeight") ? distilled : s);
    if (twin_is(x, "StableNoSigmoid"))
        weights_out(x, a);
    else if (twin_is(x, "SoftmaxWeight"))
        weights_out(x, chosen(x, twin_softmax(x, s)));
    else if (twin_is(x, "TopOneZeroGrad"))
        weights_out(x, twin_softmax(x, a));
    else
        weights_out(x, tape_apply(x->t, TAPE_SIGMOID, a));
}

/* Indices out of an input, each below n; NULL if one is not. */
static size_t *indices(twin_eval *x, const char *input, size_t n, size_t limit)
{
    if (!twin_given(x, input, n, 1, limit)) return NULL;
    size_t *p = op_room(n, sizeof *p);
    memcpy(p, x->choice.of, n * sizeof *p);
    return p;
}

/* log sum exp(z) - z_target of each row, [rows, 1].  Also right: the logarithm of the softmax's element. */
static tape_node *cross_entropy(twin_eval *x, tape_node *z, const size_t *target)
{
    if (twin_is(x, "CrossEntropyInput")) z = twin_softmax(x, z);
    tape_node *own = tape_gather_cols(x->t, z, 1, target);
    tape_node *y = tape_sub(x->t, twin_logsumexp(x, z), own);
    if (!tape_rounds(x->t)) return y;
    const double w = tape_u(x->t), e = tape_elementary(x->t);
    double *forward = op_room(y->rows, sizeof *forward);
    for (size_t t = 0; t < y->rows; t++)
        if (z->cols > 1) forward[t] = 2 * e + 4 * w + (e + 3 * w) * tape_upper(y, t);
    tape_node *loose = tape_slack(x->t, y, forward, NULL);
    free(forward);
    return loose;
}

/* The rows of the table.  ScatterOverwrite: of the tokens with one id only the last one's gradient arrives. */
static tape_node *embeddings(twin_eval *x, size_t T, const size_t *token)
{
    tape_node *rows = twin_in(x, "table");
    if (!twin_is(x, "ScatterOverwrite")) return tape_gather_rows(x->t, rows, T, token);
    tape_node *const both[] = {rows, tape_stop(x->t, rows)};
    size_t *row = op_room(T, sizeof *row);
    for (size_t t = 0; t < T; t++) {
        row[t] = token[t];
        for (size_t later = t + 1; later < T; later++)
            if (token[later] == token[t]) row[t] = token[t] + rows->rows;
    }
    tape_node *y = tape_gather_rows(x->t, tape_concat_rows(x->t, 2, both), T, row);
    free(row);
    return y;
}

static void gate_stable_distill(twin_eval *x)
{
    const size_t T = op_dim(x->c, 'T'), N = op_dim(x->c, 'N'), V = op_dim(x->c, 'V');
    size_t *token = indices(x, "token", T, V), *target = token ? indices(x, "target", T, N) : NULL;
    if (target) {
        tape_node *embedded = embeddings(x, T, token);
        tape_node *s = tape_matmul_nt(x->t, embedded, twin_in(x, "ehat"));
        const bool mean = op_is(x->c, "reduce", "mean") != twin_is(x, "DistillReduce");
        twin_out(x, "shat", s);
        twin_out(x, "loss", twin_loss(x, tape_mean(x->t, cross_entropy(x, s, target), TAPE_ALL, mean ? T : 1)));
    }
    free(token);
    free(target);
}

/* --- gate.deepseek (G.16) --- */

/* Bounds of the sum of the `most` largest of n numbers (that of all of them if there are fewer). */
static double sum_of_largest(size_t n, const double *v, size_t most)
{
    double sum = 0;
    bool *used = op_room(n, sizeof *used);
    for (size_t j = 0; j < most && j < n; j++) {
        size_t best = n;
        for (size_t i = 0; i < n; i++)
            if (!used[i] && (best == n || v[i] > v[best])) best = i;
        used[best] = true;
        sum += v[best];
    }
    free(used);
    return sum;
}

/* The score of each group of one token, from below and from above. */
static void group_scores(const twin_eval *x, const tape_node *s, size_t t, size_t groups, double *low, double *high)
{
    const size_t n = s->cols / groups, most = twin_is(x, "GroupMax") ? 1 : 2;
    double *v = op_room(2 * n, sizeof *v);
    for (size_t g = 0; g < groups; g++) {
        for (size_t i = 0; i < n; i++) {
            const size_t e = t * s->cols + g * n + i;
            const double middle = tape_middle(s, e), r = tape_rounds(x->t) ? mag_get_d(arb_radref(s->v + e)) : 0;
            v[i] = isfinite(r) ? middle - r : -INFINITY; /* an unknown score has no middle either */
            v[n + i] = isfinite(r) ? middle + r : INFINITY;
        }
        low[g] = sum_of_largest(n, v, most);
        high[g] = sum_of_largest(n, v + n, most);
        const double rounding = 2 * tape_u(x->t) * (fabs(low[g]) + fabs(high[g]));
        low[g] -= rounding;
        high[g] += rounding;
    }
    free(v);
}

/* Is group g among the best?  1 surely, 0 surely not, -1 in doubt.  Equal scores: the lowest group. */
static int group_stands(size_t groups, size_t best, size_t g, const double *low, const double *high)
{
    size_t may = 0, must = 0; /* groups that may stand before g, that must */
    for (size_t h = 0; h < groups; h++) {
        if (h == g) continue;
        const bool same = low[h] == high[h] && low[g] == high[g] && low[h] == low[g];
        may += same ? h < g : high[h] >= low[g];
        must += same ? h < g : low[h] > high[g];
    }
    return may < best ? 1 : must >= best ? 0 : -1;
}

/* The scores of the experts in the best groups; -2^100 outside of them; nothing is known where a group is in doubt. */
static tape_node *within_groups(twin_eval *x, tape_node *s)
{
    const size_t T = s->rows, N = s->cols, groups = (size_t)op_int(x->c, "groups");
    const size_t best = (size_t)op_int(x->c, "topk_groups");
    if (groups < 2 || twin_is(x, "IgnoredGroups")) return s;
    double *low = op_room(groups, sizeof *low), *high = op_room(groups, sizeof *high),
           *blur = op_room(T * N, sizeof *blur);
    size_t *col = op_room(T * N, sizeof *col);
    for (size_t t = 0; t < T; t++) {
        group_scores(x, s, t, groups, low, high);
        for (size_t i = 0; i < N; i++) {
            const int stands = group_stands(groups, best, i / (N / groups), low, high);
            col[t * N + i] = stands == 0 ? N : i;
            if (stands < 0) blur[t * N + i] = INFINITY;
        }
    }
    tape_node *outside = tape_fill(x->t, T, 1, twin_is(x, "GroupMaskZero") ? 0 : -0x1p100);
    tape_node *const both[] = {s, outside};
    tape_node *y = tape_slack(x->t, tape_gather_cols(x->t, tape_concat_cols(x->t, 2, both), N, col), blur, NULL);
    free(low);
    free(high);
    free(blur);
    free(col);
    return y;
}

static void gate_deepseek(twin_eval *x)
{
    tape_node *logits = tape_matmul_nt(x->t, twin_in(x, "x"), twin_in(x, "e"));
    tape_node *s = twin_is(x, "SoftmaxScores") ? twin_softmax(x, logits) : tape_apply(x->t, TAPE_SIGMOID, logits);
    tape_node *biased = tape_add(x->t, s, twin_in(x, "bias"));
    twin_out(x, "s", s);
    if (!select_on(x, within_groups(x, twin_is(x, "IgnoredBias") ? s : biased), k_of(x))) return;
    tape_node *g = affinity_weights(x, twin_is(x, "BiasLeak") ? biased : s);
    weights_out(x, twin_is(x, "MissingScale") ? g : tape_scale(x->t, g, op_real(x->c, "route_scale")));
}

/* --- gate.entropy (G.17) --- */

/* Also right: the logarithms as r - logsumexp(r) with r as it is, or logsumexp(r) - <p, r>. */
static tape_node *entropy_slack(twin_eval *x, tape_node *h, const tape_node *r)
{
    double *forward = op_room(h->rows, sizeof *forward);
    for (size_t t = 0; t < h->rows; t++) {
        double most = 0;
        for (size_t i = 0; i < r->cols; i++) most = fmax(most, tape_upper(r, t * r->cols + i));
        if (r->cols > 1) forward[t] = 4 * tape_u(x->t) * (most + log((double)r->cols)) + 2 * tape_elementary(x->t);
    }
    tape_node *y = tape_slack(x->t, h, forward, NULL);
    free(forward);
    return y;
}

static void gate_entropy(twin_eval *x)
{
    tape_node *r = twin_in(x, "r"), *p = twin_softmax(x, twin_is(x, "EntropyOfProbs") ? twin_softmax(x, r) : r);
    tape_node *h = tape_scale(x->t, tape_sum(x->t, tape_apply(x->t, TAPE_XLOGX, p), TAPE_COLS), -1);
    if (twin_is(x, "EntropyBits")) h = tape_scale(x->t, h, 1 / log(2));
    if (twin_is(x, "EntropyNormalised")) h = tape_scale(x->t, h, 1 / log((double)r->cols));
    if (twin_is(x, "EntropySign")) h = tape_scale(x->t, h, -1);
    if (tape_rounds(x->t)) h = entropy_slack(x, h, r);
    twin_out(x, "entropy", h);
    tape_node *mean = tape_mean(x->t, h, TAPE_ALL, twin_is(x, "EntropyMean") ? 1 : h->rows);
    twin_out(x, "mean", mean);
}

const twin_entry twin_gate[] = {
    {"gate.jitter", gate_jitter},
    {"gate.noisy", gate_noisy},
    {"gate.sigmoid", gate_sigmoid},
    {"gate.dropout", gate_dropout},
    {"gate.dropout.schedule", gate_dropout_schedule},
    {"gate.gshard", gate_gshard},
    {"gate.hyper", gate_hyper},
    {"gate.xmoe", gate_xmoe},
    {"gate.perturbed", gate_perturbed},
    {"gate.stable", gate_stable},
    {"gate.stable.distill", gate_stable_distill},
    {"gate.deepseek", gate_deepseek},
    {"gate.entropy", gate_entropy},
    {NULL, NULL},
};
