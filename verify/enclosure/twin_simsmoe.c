/* The twin of spec/07-simsmoe.md.
 *
 * Two decisions depend on rounded numbers: is a counter beyond the frequency, and is a CKA beyond the threshold.  Where
 * the ball of a precision leaves one open, what follows takes any share from 0 to 1 of it. */
#include "twin_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- yes, no, or not known ---------------------------------------------------------------------------------------- */

/* 1 if element e of v is above the limit (or at it, with equal), 0 if not, 1/2 where its ball leaves it open.  Without
 * a precision the centre decides. */
static double beyond(const twin_eval *x, const tape_node *v, size_t e, double limit, bool equal)
{
    const double off = tape_middle(v, e) - limit;
    if (tape_rounds(x->t)) {
        const double limit_off = op_representable(limit) == limit ? 0 : tape_u(x->t) * fabs(limit);
        const double r = mag_get_d(arb_radref(v->v + e)) + limit_off;
        if (r > 0 && !(fabs(off) > r)) return 0.5;
    }
    return equal ? off >= 0 : off > 0;
}

static bool open(double flag) { return flag > 0 && flag < 1; }

/* Flags as a node: 1/2 is anything from 0 to 1. */
static tape_node *flags(twin_eval *x, size_t rows, size_t cols, const double *flag)
{
    double *blur = op_room(rows * cols, sizeof *blur);
    for (size_t e = 0; e < rows * cols; e++) blur[e] = open(flag[e]) ? 0.5 : 0;
    tape_node *y = tape_slack(x->t, twin_numbers(x, rows, cols, flag), blur, NULL);
    free(blur);
    return y;
}

/* A choice of two, turned round by the variant. */
static bool asked(const twin_eval *x, const char *param, const char *choice, const char *variant)
{
    return twin_chose(x, param, choice) != twin_is(x, variant);
}

/* --- projection head (S.1) ---------------------------------------------------------------------------------------- */

/* A weight of the head, which HeadDetached holds constant. */
static tape_node *of_head(twin_eval *x, const char *name)
{
    tape_node *w = twin_in(x, name);
    return twin_is(x, "HeadDetached") ? tape_stop(x->t, w) : w;
}

static tape_node *head(twin_eval *x, tape_node *o)
{
    tape_node *wp = of_head(x, "wp"), *bp = twin_is(x, "HeadBias") ? NULL : of_head(x, "bp");
    const bool fits = wp->cols == o->cols,
               mlp = fits ? asked(x, "kind", "mlp", "HeadKind") : twin_chose(x, "kind", "mlp");
    if (twin_is(x, "HeadNone")) return o;
    if (mlp) {
        o = twin_linear(x, o, of_head(x, "wh"), twin_is(x, "HeadBias") ? NULL : of_head(x, "bh"));
        if (twin_is(x, "HeadGelu"))
            o = tape_apply(x->t, TAPE_GELU, o);
        else if (!twin_is(x, "HeadNoActivation"))
            o = twin_activated(x, TAPE_RELU, o);
    }
    return twin_linear(x, o, wp, bp);
}

static void simsmoe_head(twin_eval *x)
{
    tape_node *o = twin_in(x, "o");
    tape_node *z = head(x, twin_is(x, "ExpertsDetached") ? tape_stop(x->t, o) : o);
    twin_out(x, "z", twin_loss(x, z));
}

/* --- pairs and their tokens (S.2) --------------------------------------------------------------------------------- */

/* The place of an expert among the first K of a token's choices; K if it is not there. */
static size_t place(const twin_choice *c, size_t t, size_t expert, size_t K)
{
    size_t j = 0;
    while (j < K && c->of[t * c->K + j] != expert) j++;
    return j;
}

static bool both(const twin_eval *x, size_t t, size_t i, size_t j)
{
    const twin_choice *c = &x->choice;
    if (twin_is(x, "PairsExactSet") && c->K != 2) return false;
    const size_t K = twin_is(x, "PairsOnlyK2") && c->K > 2 ? 2 : c->K, a = place(c, t, i, K), b = place(c, t, j, K);
    if (a == K || b == K) return false;
    if (twin_is(x, "PairsOrdered")) return a < b;
    if (twin_is(x, "PairsOfFirst")) return a == 0 || b == 0;
    return !twin_is(x, "PairsNeighbours") || a + 1 == b || b + 1 == a;
}

/* The tokens that i and j share, ascending. */
static size_t rows_of(const twin_eval *x, size_t i, size_t j, size_t *row)
{
    size_t n = 0;
    for (size_t t = 0; t < x->choice.T; t++)
        if (both(x, t, i, j)) row[n++] = t;
    return n;
}

static double *shared_tokens(const twin_eval *x)
{
    const size_t N = x->choice.N;
    size_t *row = op_room(x->choice.T, sizeof *row);
    double *shared = op_room(N * N, sizeof *shared);
    for (size_t i = 0; i < N; i++)
        for (size_t j = i + 1; j < N; j++) shared[i * N + j] = (double)rows_of(x, i, j, row);
    free(row);
    return shared;
}

/* --- counters (S.3) ----------------------------------------------------------------------------------------------- */

/* counter + shared, or + shared / T; above the diagonal.  Also right: 1/T added once for each token. */
static tape_node *counted(twin_eval *x, const double *shared)
{
    const size_t T = x->choice.T, N = x->choice.N, by = twin_is(x, "PairsOverTK") ? T * x->choice.K : T;
    const bool tokens = asked(x, "unit", "tokens", "PairsUnit");
    double *upper = op_room(N * N, sizeof *upper), *slack = op_room(N * N, sizeof *slack);
    size_t *n = op_room(N * N, sizeof *n);
    for (size_t e = 0; e < N * N; e++) {
        upper[e] = e / N < e % N;
        n[e] = (size_t)shared[e];
    }
    tape_node *before = tape_mul(x->t, twin_in(x, "counter"), twin_numbers(x, N, N, upper));
    tape_node *c = tape_add(x->t, before, tape_ratio(x->t, N, N, n, tokens ? 1 : by));
    for (size_t e = 0; e < N * N; e++)
        slack[e] = arb_is_exact(c->v + e) || tokens ? 0 : shared[e] * tape_u(x->t) * tape_upper(c, e);
    if (tape_rounds(x->t)) c = tape_slack(x->t, c, slack, NULL);
    free(upper);
    free(slack);
    free(n);
    return c;
}

/* Which pairs are compared in this batch, by the counters c. */
static double *selected_pairs(twin_eval *x, const tape_node *c, const double *shared)
{
    const size_t N = x->choice.N;
    const char *compare = strcmp(x->c->op->id, "simsmoe.pairs") == 0 ? "compare" : "due";
    const bool equal = asked(x, compare, "atleast", "PairsEdge");
    const bool waits = asked(x, "absent", "keep", "PairsAbsent");
    const tape_node *by = twin_is(x, "PairsBeforeBatch") ? twin_in(x, "counter") : c;
    double *selected = op_room(N * N, sizeof *selected);
    for (size_t i = 0; i < N; i++)
        for (size_t j = i + 1; j < N; j++) {
            const size_t e = i * N + j;
            if (waits && !(shared[e] > 0)) continue;
            selected[e] = beyond(x, by, e, op_real(x->c, "frequency"), equal);
        }
    return selected;
}

/* 0 for the pairs that are selected, c for the others. */
static tape_node *next_counters(twin_eval *x, tape_node *c, const double *selected)
{
    const size_t N = x->choice.N;
    double *kept = op_room(N * N, sizeof *kept), most = 0;
    for (size_t e = 0; e < N * N; e++) most = fmax(most, selected[e]);
    for (size_t e = 0; e < N * N; e++) kept[e] = 1 - (twin_is(x, "CounterResetAll") ? most : selected[e]);
    tape_node *y = c;
    if (twin_is(x, "CounterCarried")) /* less the frequency, not 0 */
        y = tape_sub(x->t, c, tape_scale(x->t, twin_numbers(x, N, N, selected), op_real(x->c, "frequency")));
    else if (!twin_is(x, "CounterNotReset"))
        y = tape_mul(x->t, c, flags(x, N, N, kept));
    free(kept);
    return y;
}

/* The counters' part of an operation; what is selected, for free(). */
static double *count_pairs(twin_eval *x)
{
    const size_t N = x->choice.N;
    double *shared = shared_tokens(x);
    tape_node *c = counted(x, shared);
    double *selected = selected_pairs(x, c, shared);
    twin_out(x, "shared", twin_numbers(x, N, N, shared));
    twin_out(x, "selected", flags(x, N, N, selected));
    twin_out(x, "next", next_counters(x, c, selected));
    free(shared);
    return selected;
}

static void simsmoe_pairs(twin_eval *x)
{
    const size_t T = op_dim(x->c, 'T'), N = op_dim(x->c, 'N'), K = op_dim(x->c, 'K');
    if (!twin_given(x, "index", T, K, N)) return;
    free(count_pairs(x));
}

/* --- representations of a pair (S.4) ------------------------------------------------------------------------------ */

/* Rows that a candidate may put into one product: those of an expert in all its pairs and in the layer, and those of
 * the head in all pairs. */
typedef struct {
    size_t *expert; /* [N] */
    size_t head;
} pooled;

static pooled pool(const twin_eval *x, const double *selected)
{
    const twin_choice *c = &x->choice;
    size_t *row = op_room(c->T, sizeof *row);
    pooled p = {op_room(c->N, sizeof *p.expert), 0};
    for (size_t a = 0; a < c->T * c->K; a++) p.expert[c->of[a]]++;
    for (size_t e = 0; e < c->N * c->N; e++) {
        if (!(selected[e] > 0)) continue;
        const size_t n = rows_of(x, e / c->N, e % c->N, row);
        p.expert[e / c->N] += n;
        p.expert[e % c->N] += n;
        p.head += 2 * n;
    }
    free(row);
    return p;
}

/* ReLU where the layer has GELU. */
static tape_node *relu_expert(twin_eval *x, size_t i, tape_node *X)
{
    tape_node *w1 = twin_in(x, "w1"), *b1 = twin_in(x, "b1"), *w2 = twin_in(x, "w2"), *b2 = twin_in(x, "b2");
    const size_t h = b1->cols, d = b2->cols;
    tape_node *u = twin_linear(x, X, tape_view(x->t, w1, i * h, h, d), tape_view(x->t, b1, i, 1, h));
    return twin_linear(x, tape_apply(x->t, TAPE_RELU, u), tape_view(x->t, w2, i * d, d, h),
                       tape_view(x->t, b2, i, 1, d));
}

/* The weights of expert i on these tokens as a column: what the router sees if a layer's own outputs are compared. */
static tape_node *weights_of(twin_eval *x, tape_node *weight, size_t i, size_t n, const size_t *row)
{
    size_t *col = op_room(n, sizeof *col);
    for (size_t k = 0; k < n; k++) col[k] = place(&x->choice, row[k], i, x->choice.K);
    tape_node *y = tape_gather_cols(x->t, tape_gather_rows(x->t, weight, n, row), 1, col);
    free(col);
    return y;
}

/* X [n, d] in, z [n, p] out; weight: the gate's, or NULL. */
static tape_node *represent(twin_eval *x, const pooled *p, size_t i, tape_node *X, tape_node *weight, const size_t *row)
{
    const size_t N = x->choice.N, used = twin_is(x, "MisalignedExperts") ? (i + 1) % N : i;
    tape_together(x->t, p->expert[used]);
    tape_node *o = twin_is(x, "ReluHardCoded") ? relu_expert(x, used, X) : twin_ffn(x, used, X);
    if (twin_is(x, "RouterGradient") && weight) o = tape_mul(x->t, o, weights_of(x, weight, i, X->rows, row));
    if (twin_is(x, "ExpertsDetached")) o = tape_stop(x->t, o);
    tape_together(x->t, p->head);
    tape_node *z = head(x, o);
    tape_together(x->t, 0);
    return z;
}

/* --- similarity (S.5) --------------------------------------------------------------------------------------------- */

/* All rows are one row of few bits, and their number is a power of two: no way of centring them leaves anything. */
static bool plainly_constant(const tape_node *z)
{
    double square = 0;
    if (z->rows & (z->rows - 1)) return false;
    for (size_t e = 0; e < z->rows * z->cols; e++) {
        const double v = 16 * tape_middle(z, e);
        if (!arb_is_exact(z->v + e) || !arb_equal(z->v + e, z->v + e % z->cols) || nearbyint(v) != v) return false;
        square += v * v;
    }
    return square < 0x1p20;
}

/* One pair: its CKA, and whether it is in the loss (1/2: unknown).  cka NULL: it is not compared. */
typedef struct {
    tape_node *cka;
    double active;
} pair;

static size_t rows_needed(const twin_eval *x)
{
    const bool unbiased = !twin_chose(x, "estimator", "biased") && !twin_is(x, "BiasedSmallN");
    return unbiased || twin_is(x, "UnbiasedForBiased") ? 4 : 2;
}

static size_t rows_compared(const twin_eval *x, size_t i, size_t j, size_t *row)
{
    const twin_choice *c = &x->choice;
    if (!twin_is(x, "RowsAll") && !twin_is(x, "RowsEither")) return rows_of(x, i, j, row);
    size_t n = 0;
    for (size_t t = 0; t < c->T; t++)
        if (twin_is(x, "RowsAll") || place(c, t, i, c->K) < c->K || place(c, t, j, c->K) < c->K) row[n++] = t;
    return n;
}

static pair compare(twin_eval *x, const pooled *p, size_t i, size_t j, tape_node *weight, size_t *row)
{
    const size_t n = rows_compared(x, i, j, row);
    if (n < rows_needed(x)) return (pair){NULL, 0};
    tape_node *X = tape_gather_rows(x->t, twin_in(x, "x"), n, row);
    if (twin_is(x, "RowsShuffled")) /* the second expert sees them in another order */
        for (size_t k = 0; k < n / 2; k++) {
            const size_t other = row[k];
            row[k] = row[n - 1 - k];
            row[n - 1 - k] = other;
        }
    tape_node *Y = twin_is(x, "RowsShuffled") ? tape_gather_rows(x->t, twin_in(x, "x"), n, row) : X;
    if (asked(x, "detach_x", "yes", twin_chose(x, "detach_x", "yes") ? "XNotDetached" : "XDetached")) {
        X = tape_stop(x->t, X);
        Y = tape_stop(x->t, Y);
    }
    tape_node *a = represent(x, p, i, X, weight, row), *b = represent(x, p, j, Y, weight, row);
    tape_node *cka = twin_cka(x, a, b);
    if (!arb_is_finite(cka->v) && (!tape_rounds(x->t) || plainly_constant(a) || plainly_constant(b)))
        return (pair){NULL, 0}; /* undefined: a representation does not vary */
    const bool equal = asked(x, "compare", "atleast", "ThresholdEdge");
    const double T = op_real(x->c, "threshold");
    return (pair){cka, twin_is(x, "ThresholdMissing") ? 1 : beyond(x, cka, 0, T, equal)};
}

/* A pair's share of the loss. */
static tape_node *share(twin_eval *x, const pair *p)
{
    tape_node *y = p->cka;
    const double limit = op_real(x->c, "threshold");
    if (twin_is(x, "ThresholdSubtracted")) y = tape_sub(x->t, y, tape_leaf(x->t, 1, 1, &limit, false));
    if (twin_is(x, "SimilarityDistance")) y = tape_sub(x->t, tape_fill(x->t, 1, 1, 1), y);
    return open(p->active) ? tape_mul(x->t, y, flags(x, 1, 1, &p->active)) : y;
}

/* sum / n of a number of pairs that is between least and most */
static tape_node *over_pairs(twin_eval *x, tape_node *sum, size_t least, size_t most)
{
    if (least < 1) least = 1;
    if (most < 1) most = 1;
    if (least == most) return least == 1 ? sum : tape_mean(x->t, sum, TAPE_ALL, least);
    const double a = 1 / (double)most, b = 1 / (double)least, middle = (a + b) / 2, off = (b - a) / 2 * (1 + 0x1p-50);
    return tape_mul(x->t, sum, tape_slack(x->t, tape_leaf(x->t, 1, 1, &middle, false), &off, NULL));
}

static void pairs_out(twin_eval *x, const pair *p)
{
    const size_t N = x->choice.N;
    tape_node **cka = op_room(N * N, sizeof *cka), *zero = tape_fill(x->t, 1, 1, 0);
    double *active = op_room(N * N, sizeof *active);
    for (size_t e = 0; e < N * N; e++) {
        cka[e] = p[e].cka ? p[e].cka : zero;
        active[e] = p[e].active;
    }
    twin_out(x, "cka", tape_view(x->t, tape_concat_cols(x->t, N * N, cka), 0, N, N));
    twin_out(x, "active", flags(x, N, N, active));
    free(cka);
    free(active);
}

/* selected [N, N]: 1 for the pairs to compare, 1/2 where that is open; weight: the gate's, or NULL. */
static tape_node *similarity(twin_eval *x, const double *selected, tape_node *weight)
{
    const size_t N = x->choice.N;
    const bool all = twin_is(x, "UnselectedPairs");
    pooled p = pool(x, selected);
    pair *of = op_room(N * N, sizeof *of);
    tape_node **term = op_room(N * N, sizeof *term), *sum = tape_fill(x->t, 1, 1, 0);
    size_t *row = op_room(x->choice.T, sizeof *row), n = 0, least = 0, most = 0;
    for (size_t i = 0; i < N; i++)
        for (size_t j = i + 1; j < N; j++) {
            const size_t e = i * N + j;
            const double chosen = all ? 1 : selected[e];
            if (!(chosen > 0)) continue;
            of[e] = compare(x, &p, i, j, weight, row);
            if (open(chosen) && of[e].active > 0) of[e].active = 0.5;
            const double counts = twin_is(x, "PairsMeanActive") ? of[e].active : chosen;
            least += counts == 1;
            most += counts > 0;
            if (of[e].active > 0) term[n++] = share(x, &of[e]);
        }
    if (n > 0) sum = tape_sum_groups(x->t, tape_concat_rows(x->t, n, term), n);
    if (twin_is(x, "PairsTwice")) sum = tape_scale(x->t, sum, 2);
    if (asked(x, "reduce", "mean", "PairsReduce")) sum = over_pairs(x, sum, least, most);
    pairs_out(x, of);
    free(p.expert);
    free(of);
    free(term);
    free(row);
    return sum;
}

static void simsmoe_loss(twin_eval *x)
{
    const size_t T = op_dim(x->c, 'T'), N = op_dim(x->c, 'N'), K = op_dim(x->c, 'K');
    if (!twin_given(x, "index", T, K, N)) return;
    double *selected = op_room(N * N, sizeof *selected);
    for (size_t i = 0; i < N; i++)
        for (size_t j = i + 1; j < N; j++) selected[i * N + j] = (double)op_in_i64(x->c, "selected")[i * N + j];
    twin_out(x, "loss", twin_loss(x, similarity(x, selected, NULL)));
    free(selected);
}

/* --- the layer (S.6) and one training step (S.7) ------------------------------------------------------------------ */

/* The terms by their coefficients, added in any order; task NULL: the layer alone. */
static tape_node *total(twin_eval *x, tape_node *task, tape_node *balance, tape_node *likeness)
{
    const bool bare = twin_is(x, "MissingCoefficient");
    const double c_balance = op_real(x->c, "c_balance");
    tape_node *part[3];
    size_t n = 0;
    if (task) part[n++] = tape_scale(x->t, task, bare ? 1 : op_real(x->c, "c_task"));
    likeness = tape_scale(x->t, likeness, bare ? 1 : op_real(x->c, "c_similarity"));
    if (twin_is(x, "BetaTied")) likeness = tape_scale(x->t, likeness, c_balance);
    part[n++] = tape_scale(x->t, balance, bare ? 1 : c_balance);
    part[n++] = likeness;
    return tape_sum_groups(x->t, tape_concat_rows(x->t, n, part), n);
}

/* The layer's outputs; where there is a target, the task's too. */
static void layer(twin_eval *x, bool step)
{
    tape_node *tokens = twin_in(x, "x"), *r = twin_linear(x, tokens, twin_in(x, "wr"), twin_in(x, "br"));
    twin_out(x, "r", r);
    twin_scores(x, "index", r);
    if (!twin_decide(x, "index", r->rows, (size_t)op_int(x->c, "k"), r->cols)) return;
    tape_node *weight = twin_weights(x, r), *y = twin_combine(x, twin_dispatch(x, tokens), weight);
    double *selected = count_pairs(x);
    tape_node *task = step ? twin_loss(x, twin_task(x, y)) : NULL;
    tape_node *balance = twin_loss(x, twin_switch(x, twin_probabilities(x, r)));
    tape_node *likeness = twin_loss(x, similarity(x, selected, weight));
    twin_out(x, "y", y);
    twin_out(x, "weight", weight);
    twin_out(x, "balance", balance);
    twin_out(x, "similarity", likeness);
    if (step) twin_out(x, "task", task);
    twin_out(x, "loss", total(x, task, balance, likeness));
    free(selected);
}

static void simsmoe_layer(twin_eval *x) { layer(x, false); }

static void simsmoe_step(twin_eval *x) { layer(x, true); }

const twin_entry twin_simsmoe[] = {
    {"simsmoe.head", simsmoe_head},   {"simsmoe.pairs", simsmoe_pairs}, {"simsmoe.loss", simsmoe_loss},
    {"simsmoe.layer", simsmoe_layer}, {"simsmoe.step", simsmoe_step},   {NULL, NULL},
};
