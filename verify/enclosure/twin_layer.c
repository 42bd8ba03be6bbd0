/* The twin of spec/03-layer.md: buffers of a capacity, shared experts, measures of a router. */
#include "twin_parts.h"

#include <math.h>
#include <stdlib.h>

/* --- who finds a place in an expert's buffer --- */

/* Assignment a = t K + j stands behind those of the same expert that come before it in the queue. */
typedef struct {
    size_t capacity;
    bool by_choice; /* all first choices by token, then all second ones; else token by token */
    bool last; /* the queue is served from its end */
    const tape_node *best; /* served by these weights [T, K], not by place; NULL: by place */
    bool one; /* all of them are 1 */
    const tape_node *row; /* tokens with equal rows have equal weights, to the bit */
} queue;

/* What became of each assignment: doubt means that an implementation's rounding may decide otherwise. */
typedef struct {
    double *kept, *slot, *load;
    double *doubt, *slot_doubt;
} places;

static places places_new(const twin_choice *c)
{
    const size_t A = c->T * c->K;
    return (places){op_room(A, sizeof(double)), op_room(A, sizeof(double)), op_room(c->N, sizeof(double)),
                    op_room(A, sizeof(double)), op_room(A, sizeof(double))};
}

static void places_free(places *p)
{
    free(p->kept);
    free(p->slot);
    free(p->load);
    free(p->doubt);
    free(p->slot_doubt);
}

static bool earlier(const queue *q, const twin_choice *c, size_t a, size_t b)
{
    if (q->by_choice && a % c->K != b % c->K) return a % c->K < b % c->K;
    return a < b;
}

static bool equal_rows(const tape_node *r, size_t t, size_t u)
{
    for (size_t i = 0; i < r->cols; i++)
        if (!arb_equal(r->v + t * r->cols + i, r->v + u * r->cols + i)) return false;
    return true;
}

/* 1: a is served before b; -1: b before a; 0: a's weight is within the bounds of b's. */
static int served_before(const queue *q, const twin_choice *c, size_t a, size_t b)
{
    if (q->best && !q->one && !equal_rows(q->row, a / c->K, b / c->K)) {
        arb_srcptr wa = q->best->v + a, wb = q->best->v + b;
        return arb_gt(wa, wb) ? 1 : arb_lt(wa, wb) ? -1 : 0;
    }
    return earlier(q, c, a, b) != q->last ? 1 : -1;
}

/* Where the bounds do not say, the middle does. */
static bool middle_before(const queue *q, const twin_choice *c, size_t a, size_t b)
{
    const int cmp = arf_cmp(arb_midref(q->best->v + a), arb_midref(q->best->v + b));
    return cmp > 0 || (cmp == 0 && earlier(q, c, a, b));
}

static void serve(const queue *q, const twin_choice *c, size_t a, places *p)
{
    size_t before = 0, sure = 0, maybe = 0;
    for (size_t b = 0; b < c->T * c->K; b++) {
        if (b == a || c->of[a] != c->of[b]) continue;
        const int side = served_before(q, c, b, a);
        sure += side > 0;
        maybe += side == 0;
        before += side > 0 || (side == 0 && middle_before(q, c, b, a));
    }
    p->kept[a] = before < q->capacity;
    p->doubt[a] = sure < q->capacity && sure + maybe >= q->capacity;
}

/* Kept or not first; then slots in the order of the queue among those that are kept. */
static void place_all(const queue *q, const twin_choice *c, places *p)
{
    const size_t A = c->T * c->K;
    for (size_t a = 0; a < A; a++) serve(q, c, a, p);
    for (size_t a = 0; a < A; a++) {
        p->slot[a] = p->kept[a] > 0 ? 0 : -1;
        p->load[c->of[a]] += p->kept[a];
        for (size_t b = 0; b < A; b++) {
            if (c->of[a] != c->of[b]) continue;
            if (p->kept[a] > 0 && p->kept[b] > 0 && earlier(q, c, b, a)) p->slot[a]++;
            if (p->doubt[b] > 0) p->slot_doubt[a] = (double)q->capacity;
        }
    }
}

static bool queued_by_choice(const twin_eval *x)
{
    if (twin_is(x, "CapacityDrop/token")) return false;
    return twin_is(x, "CapacityDrop/choice") || op_is(x->c, "priority", "choice");
}

/* max(minimum, round(factor K T / N)) */
static size_t capacity_of(const twin_eval *x, size_t T, size_t K, size_t N)
{
    const bool up =
        !twin_is(x, "CapacityRound/floor") && (op_is(x->c, "round", "ceil") || twin_is(x, "CapacityRound/ceil"));
    const size_t assignments = twin_is(x, "CapacityNoK") ? T : T * K;
    const double share = op_real(x->c, "factor") * (double)assignments / (double)N;
    const double minimum = twin_is(x, "CapacityDrop/minimum") ? 0 : (double)op_int(x->c, "minimum");
    const double most = fmax(minimum, up ? ceil(share) : floor(share));
    return twin_is(x, "CapacityDrop/none") || most > (double)(T * K) ? T * K : (size_t)most;
}

/* 1 where kept; a token that lost all its choices has the sum 0, and whatever is divided by it stays 0. */
static tape_node *renormalised(twin_eval *x, tape_node *weight, const places *p)
{
    double *none = op_room(weight->rows, sizeof *none);
    for (size_t t = 0; t < weight->rows; t++) {
        none[t] = 1;
        for (size_t j = 0; j < weight->cols; j++)
            if (p->kept[t * weight->cols + j] > 0) none[t] = 0;
    }
    tape_node *sum = tape_add(x->t, tape_sum(x->t, weight, TAPE_COLS), twin_numbers(x, weight->rows, 1, none));
    free(none);
    return tape_div(x->t, weight, sum);
}

static tape_node *kept_weights(twin_eval *x, tape_node *weight, const places *p)
{
    const size_t T = weight->rows, K = weight->cols;
    tape_node *kept = tape_slack(x->t, twin_numbers(x, T, K, p->kept), p->doubt, NULL);
    if (twin_is(x, "CapacityDrop/gradient")) { /* zeroed where no gradient looks */
        tape_node *gone = tape_mul(x->t, tape_stop(x->t, weight), kept);
        return tape_add(x->t, tape_sub(x->t, weight, tape_stop(x->t, weight)), gone);
    }
    if (twin_is(x, "CapacityDrop/weights")) return weight;
    tape_node *y = tape_mul(x->t, weight, kept);
    return twin_is(x, "CapacityRenorm") ? renormalised(x, y, p) : y;
}

static void layer_capacity(twin_eval *x)
{
    tape_node *r = twin_in(x, "r");
    const size_t T = r->rows, N = r->cols, K = (size_t)op_int(x->c, "k");
    twin_scores(x, "index", r);
    if (!twin_decide(x, "index", T, K, N)) return;
    tape_node *weight = twin_weights(x, r);
    if (twin_is(x, "SwappedWeights")) weight = twin_mirrored(x, weight);
    const bool by_weight = !twin_is(x, "CapacityDrop/position") &&
                           (twin_is(x, "CapacityDrop/probability") || op_is(x->c, "policy", "probability"));
    const queue q = {capacity_of(x, T, K, N),
                     queued_by_choice(x),
                     twin_is(x, "CapacityDrop/last"),
                     by_weight ? weight : NULL,
                     K == 1 && !op_is(x->c, "order", "softmax-topk"),
                     r};
    places p = places_new(&x->choice);
    place_all(&q, &x->choice, &p);
    twin_out(x, "weight", kept_weights(x, weight, &p));
    twin_out(x, "kept", tape_slack(x->t, twin_numbers(x, T, K, p.kept), p.doubt, NULL));
    twin_out(x, "slot", tape_slack(x->t, tape_leaf(x->t, T, K, p.slot, false), p.slot_doubt, NULL));
    twin_out(x, "load", tape_leaf(x->t, 1, N, p.load, false));
    places_free(&p);
}

/* Tokens [T, d] into buffers [N C, d]; a row that nobody took is the row of zeros behind the last token. */
static void layer_dispatch(twin_eval *x)
{
    tape_node *tokens = twin_in(x, "x");
    const size_t T = tokens->rows, K = op_dim(x->c, 'K'), N = op_dim(x->c, 'N'), C = op_dim(x->c, 'C');
    if (!twin_given(x, "index", T, K, N)) return;
    const queue q = {C, queued_by_choice(x), twin_is(x, "CapacityDrop/last"), NULL, false, NULL};
    places p = places_new(&x->choice);
    place_all(&q, &x->choice, &p);
    size_t *row = op_room(N * C, sizeof *row);
    for (size_t i = 0; i < N * C; i++) row[i] = twin_is(x, "EmptySlotFilled") && T > 0 ? 0 : T;
    for (size_t a = 0; a < T * K; a++) {
        const size_t expert = (x->choice.of[a] + twin_is(x, "MisalignedExperts")) % N;
        if (p.slot[a] >= 0) row[expert * C + (size_t)p.slot[a]] = a / K;
        if (p.slot[a] < 0 && twin_is(x, "CapacityDrop/clamped") && C > 0) { /* overflow lands on the last slot */
            p.slot[a] = (double)C - 1;
            row[expert * C + C - 1] = a / K;
        }
    }
    tape_node *const both[] = {tokens, tape_fill(x->t, 1, tokens->cols, 0)};
    tape_node *xe = tape_gather_rows(x->t, tape_concat_rows(x->t, 2, both), N * C, row);
    twin_out(x, "xe", twin_is(x, "DispatchGradNone") ? tape_stop(x->t, xe) : xe);
    twin_out(x, "slot", twin_numbers(x, T, K, p.slot));
    free(row);
    places_free(&p);
}

/* --- what comes back --- */

/* The rows [T K, d] of o [N C, d] that the choices stand in; a dropped one reads the zeros behind the last row. */
static tape_node *returned(twin_eval *x, tape_node *o, size_t C, const int64_t *slot)
{
    const twin_choice *c = &x->choice;
    const size_t A = c->T * c->K;
    size_t *row = op_room(A, sizeof *row);
    for (size_t a = 0; a < A; a++) {
        const size_t expert = (c->of[a] + twin_is(x, "MisalignedExperts")) % c->N;
        row[a] = slot[a] >= 0 ? expert * C + (size_t)slot[a] : c->N * C;
        if (slot[a] < 0 && twin_is(x, "NegativeSlot") && C > 0) row[a] = expert * C + C - 1;
    }
    tape_node *const both[] = {o, tape_fill(x->t, 1, o->cols, 0)};
    tape_node *y = tape_gather_rows(x->t, tape_concat_rows(x->t, 2, both), A, row);
    free(row);
    return y;
}

static bool passes(const twin_eval *x)
{
    if (twin_is(x, "OverflowZero")) return false;
    return twin_is(x, "OverflowPass") || op_is(x->c, "overflow", "pass");
}

/* 1 for the tokens that take their input along: those that no expert served. */
static tape_node *unserved(twin_eval *x, const int64_t *slot)
{
    const size_t T = x->choice.T, K = x->choice.K;
    double *alone = op_room(T, sizeof *alone);
    for (size_t t = 0; t < T; t++) {
        size_t kept = 0;
        for (size_t j = 0; j < K; j++) kept += slot[t * K + j] >= 0;
        alone[t] = twin_is(x, "OverflowPartly") ? kept < K : twin_is(x, "OverflowResidual") ? 1 : kept == 0;
    }
    tape_node *y = twin_numbers(x, T, 1, alone);
    free(alone);
    return y;
}

static void layer_combine(twin_eval *x)
{
    tape_node *o = twin_in(x, "o"), *weight = twin_in(x, "weight"), *tokens = twin_in(x, "x");
    const size_t T = weight->rows, K = weight->cols, N = op_dim(x->c, 'N'), C = op_dim(x->c, 'C');
    if (!twin_given(x, "index", T, K, N)) return;
    const int64_t *slot = op_in_i64(x->c, "slot");
    double *kept = op_room(T * K, sizeof *kept);
    for (size_t a = 0; a < T * K; a++) {
        if (slot[a] >= 0 && (uint64_t)slot[a] >= C) twin_fail(x, "beyond the buffer:", "slot");
        kept[a] = slot[a] >= 0;
    }
    const places p = {.kept = kept};
    if (x->failed) {
        free(kept);
        return;
    }
    if (twin_is(x, "CapacityRenorm")) weight = renormalised(x, tape_mul(x->t, weight, twin_numbers(x, T, K, kept)), &p);
    tape_node *y = twin_combine(x, returned(x, o, C, slot), weight);
    if (passes(x)) y = tape_add(x->t, y, tape_mul(x->t, tokens, unserved(x, slot)));
    twin_out(x, "y", y);
    free(kept);
}

/* --- shared experts --- */

enum { SUM, HALF, RESIDUAL };

static int form_of(const twin_eval *x)
{
    if (twin_is(x, "SharedSum")) return SUM;
    if (twin_is(x, "SharedHalf")) return HALF;
    if (twin_is(x, "SharedResidual")) return RESIDUAL;
    return op_is(x->c, "form", "sum") ? SUM : op_is(x->c, "form", "half") ? HALF : RESIDUAL;
}

/* One sum for each token, in any order: the residual, M shared experts, K weighted ones. */
static tape_node *all_together(twin_eval *x, tape_node *tokens, tape_node *routed, size_t M, size_t K, int form)
{
    static const char *const names[4] = {"ws1", "bs1", "ws2", "bs2"};
    const size_t T = tokens->rows, terms = M + K + (form == RESIDUAL);
    tape_node **part = op_room(M + 2, sizeof(tape_node *));
    size_t *row = op_room(T * terms, sizeof *row), parts = 0;
    for (size_t m = 0; m < M; m++) {
        tape_node *y = twin_ffn_of(x, names, m, twin_is(x, "SharedDetached") ? tape_stop(x->t, tokens) : tokens);
        if (twin_is(x, "SharedMean")) y = tape_scale(x->t, y, 1 / (double)M);
        part[parts++] = form == HALF ? tape_scale(x->t, y, 0.5) : y;
    }
    part[parts++] = form == HALF ? tape_scale(x->t, routed, 0.5) : routed;
    if (form == RESIDUAL) part[parts++] = tokens;
    for (size_t t = 0; t < T; t++) {
        size_t *at = row + t * terms;
        for (size_t m = 0; m < M; m++) *at++ = m * T + t;
        for (size_t j = 0; j < K; j++) *at++ = M * T + t * K + j;
        if (form == RESIDUAL) *at = M * T + T * K + t;
    }
    tape_node *y = tape_gather_rows(x->t, tape_concat_rows(x->t, parts, part), T * terms, row);
    free(part);
    free(row);
    return tape_sum_groups(x->t, y, terms);
}

static void layer_shared(twin_eval *x)
{
    tape_node *tokens = twin_in(x, "x");
    tape_node *r = twin_linear(x, tokens, twin_in(x, "wr"), twin_in(x, "br"));
    const size_t T = r->rows, K = (size_t)op_int(x->c, "k"), M = op_dim(x->c, 'M');
    twin_scores(x, "index", r);
    if (!twin_decide(x, "index", T, K, r->cols)) return;
    tape_node *weight = twin_weights(x, r), *used = weight;
    twin_out(x, "weight", weight);
    twin_out(x, "r", r);
    if (twin_is(x, "SwappedWeights")) used = twin_mirrored(x, used);
    if (twin_is(x, "CombineGradNone")) used = tape_stop(x->t, used);
    if (twin_is(x, "SharedInWeights")) used = tape_scale(x->t, used, (double)K / (double)(K + M));
    tape_node *routed = tape_mul(x->t, twin_dispatch(x, tokens), tape_view(x->t, used, 0, T * K, 1));
    twin_out(x, "y", twin_loss(x, all_together(x, tokens, routed, M, K, form_of(x))));
}

/* --- measures: how a router loads, collapses, changes its mind --- */

static size_t *counts(const twin_choice *c, size_t used)
{
    size_t *n = op_room(c->N, sizeof *n);
    for (size_t t = 0; t < c->T; t++)
        for (size_t j = 0; j < used; j++) n[c->of[t * c->K + j]]++;
    return n;
}

/* (max - mean) / mean; who takes max / mean - 1 rounds a quotient that may be large against the result */
static tape_node *violation(twin_eval *x, const size_t *n, size_t N, size_t total)
{
    size_t most = 0, experts = 0;
    for (size_t i = 0; i < N; i++) {
        if (n[i] > most) most = n[i];
        experts += n[i] > 0;
    }
    if (!twin_is(x, "ViolationServed")) experts = N;
    tape_node *mean = tape_ratio(x->t, 1, 1, &total, experts), *top = tape_ratio(x->t, 1, 1, &most, 1);
    tape_node *y = tape_div(x->t, twin_is(x, "ViolationRatio") ? top : tape_sub(x->t, top, mean), mean);
    const double slack = 4 * tape_u(x->t) * (double)most * (double)experts / (double)(total ? total : 1);
    return tape_rounds(x->t) ? tape_slack(x->t, y, &slack, NULL) : y;
}

static void layer_load(twin_eval *x)
{
    tape_node *r = twin_in(x, "r");
    const size_t T = r->rows, N = r->cols, K = (size_t)op_int(x->c, "k");
    twin_scores(x, "index", r);
    if (!twin_decide(x, "index", T, K, N)) return;
    const size_t used = twin_is(x, "LblFirstChoiceOnly") ? 1 : K;
    size_t *n = counts(&x->choice, used);
    double *load = op_room(N, sizeof *load);
    for (size_t i = 0; i < N; i++) load[i] = (double)n[i];
    twin_out(x, "load", tape_leaf(x->t, 1, N, load, false));
    twin_out(x, "share", tape_ratio(x->t, 1, N, n, twin_is(x, "LblTopKNorm") ? T : T * used));
    twin_out(x, "max_violation", violation(x, n, N, T * used));
    free(n);
    free(load);
}

/* Tokens of each expert that has some, and their mean. */
typedef struct {
    size_t T, groups;
    size_t *count; /* by group */
    size_t *group; /* by token */
    tape_node *mean; /* [groups, d] */
} clusters;

static clusters clusters_of(twin_eval *x, tape_node *states)
{
    const twin_choice *c = &x->choice;
    clusters k = {c->T, 0, op_room(c->N, sizeof(size_t)), op_room(c->T, sizeof(size_t)), NULL};
    tape_node **mean = op_room(c->N, sizeof(tape_node *));
    size_t *row = op_room(c->T, sizeof *row);
    for (size_t i = 0; i < c->N; i++) {
        size_t n = 0;
        for (size_t t = 0; t < c->T; t++)
            if (c->of[t] == i) {
                row[n++] = t;
                k.group[t] = k.groups;
            }
        if (n == 0) continue;
        mean[k.groups] = tape_mean(x->t, tape_gather_rows(x->t, states, n, row), TAPE_ROWS, n);
        k.count[k.groups++] = n;
    }
    k.mean = tape_concat_rows(x->t, k.groups, mean);
    free(mean);
    free(row);
    return k;
}

static void clusters_free(clusters *k)
{
    free(k->count);
    free(k->group);
}

static tape_node *element(twin_eval *x, tape_node *row, size_t j) { return tape_gather_cols(x->t, row, 1, &j); }

/* g^-1 b for a positive definite g [n, n] and b [n, m], by elimination without exchanges. */
static tape_node *solve(twin_eval *x, tape_node *g, tape_node *b)
{
    const size_t n = g->rows;
    tape_node *const both[] = {g, b};
    tape_node *wide = tape_concat_cols(x->t, 2, both), **row = op_room(n, sizeof(tape_node *));
    for (size_t i = 0; i < n; i++) row[i] = tape_view(x->t, wide, i, 1, wide->cols);
    for (size_t k = 0; k < n; k++) { /* below and above the diagonal: Gauss and Jordan */
        row[k] = tape_div(x->t, row[k], element(x, row[k], k));
        for (size_t i = 0; i < n; i++)
            if (i != k) row[i] = tape_sub(x->t, row[i], tape_mul(x->t, row[k], element(x, row[i], k)));
    }
    tape_node *all = tape_concat_rows(x->t, n, row);
    size_t *col = op_room(n * b->cols, sizeof *col);
    for (size_t i = 0; i < n * b->cols; i++) col[i] = n + i % b->cols;
    tape_node *y = tape_gather_cols(x->t, all, b->cols, col);
    free(row);
    free(col);
    return y;
}

static tape_node *identity(twin_eval *x, size_t n)
{
    double *one = op_room(n * n, sizeof *one);
    for (size_t i = 0; i < n; i++) one[i * n + i] = 1;
    tape_node *y = twin_numbers(x, n, n, one);
    free(one);
    return y;
}

/* The share q of a group, exactly rounded: n / T, or 1 / groups for who lets every expert weigh the same. */
static tape_node *shares(twin_eval *x, const clusters *k, size_t first, size_t n)
{
    size_t *count = op_room(n, sizeof *count);
    const bool same = twin_is(x, "CollapseUnweighted");
    for (size_t i = 0; i < n; i++) count[i] = same ? 1 : k->count[first + i];
    tape_node *q = tape_ratio(x->t, n, 1, count, same ? k->groups : k->T);
    free(count);
    return q;
}

/* sum over the columns u of [n, m] of u^T M^-1 u, where M = diag(q_1 ..) - q q^T has the inverse
 * diag(1/q) + 1 1^T / q_0 */
static tape_node *weighed(twin_eval *x, const clusters *k, tape_node *u)
{
    tape_node *each = tape_div(x->t, tape_apply(x->t, TAPE_SQUARE, u), shares(x, k, 1, k->groups - 1));
    tape_node *s = tape_apply(x->t, TAPE_SQUARE, tape_sum(x->t, u, TAPE_ROWS));
    tape_node *whole = tape_div(x->t, s, shares(x, k, 0, 1));
    return tape_add(x->t, tape_sum(x->t, each, TAPE_ALL), tape_sum(x->t, whole, TAPE_ALL));
}

/* |X Y| for symmetric X and Y [n, n], in the norm sqrt(Tr(X Y X Y)). */
static double product_norm(size_t n, const double *X, const double *Y)
{
    double *p = op_room(n * n, sizeof *p), s = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            for (size_t l = 0; l < n; l++) p[i * n + j] += X[i * n + l] * Y[l * n + j];
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) s += p[i * n + j] * p[j * n + i];
    free(p);
    return sqrt(fmax(s, 0));
}

/* Frobenius norms of Sb = D^T M D and of its pseudo-inverse, from G = D D^T and its inverse. */
static void norms(const clusters *k, const tape_node *G, const tape_node *inverse, double *Sb, double *pseudo)
{
    const size_t n = G->rows;
    double *M = op_room(n * n, sizeof *M), *other = op_room(n * n, sizeof *other), T = (double)k->T;
    double *g = op_room(n * n, sizeof *g), *h = op_room(n * n, sizeof *h);
    for (size_t e = 0; e < n * n; e++) {
        const double p = (double)k->count[1 + e / n] / T, q = (double)k->count[1 + e % n] / T;
        M[e] = (e / n == e % n ? p : 0) - p * q;
        other[e] = (e / n == e % n ? 1 / p : 0) + T / (double)k->count[0];
        g[e] = tape_middle(G, e);
        h[e] = tape_middle(inverse, e);
    }
    *Sb = product_norm(n, M, g);
    *pseudo = product_norm(n, other, h);
    free(M);
    free(other);
    free(g);
    free(h);
}

/* The root of the mean square of the rows. */
static double spread(const tape_node *x)
{
    double s = 0;
    for (size_t i = 0; i < x->rows * x->cols; i++) s += pow(tape_upper(x, i), 2);
    return sqrt(s / (double)x->rows);
}

/* Who forms the covariances and inverts one of them by its eigenvalues errs by the condition of the matrix.  Stored:
 * means, centred states, Sw, Sb, its inverse.  Not stored: sums, which may be of squares that were not centred, and the
 * decomposition. */
static double condition_slack(twin_eval *x, const clusters *k, const tape_node *states, const tape_node *centred,
                              const tape_node *G, const tape_node *inverse, double rc)
{
    const double w = tape_u(x->t), n = (double)(states->rows + 16 * states->cols);
    const double mean = spread(states), within = spread(centred);
    double Sb, pseudo;
    norms(k, G, inverse, &Sb, &pseudo);
    const double stored = rc * (4 * Sb * pseudo + 4 * mean * sqrt(Sb) * pseudo + 8) + 4 * mean * within * pseudo;
    return w * stored + n * tape_arithmetic(x->t) * (mean * mean * pseudo * (1 + rc) + Sb * pseudo * rc);
}

/* D: the means less the first one, [groups - 1, d] */
static tape_node *differences(twin_eval *x, const clusters *k)
{
    tape_node *m = k->mean;
    return tape_sub(x->t, tape_view(x->t, m, 1, m->rows - 1, m->cols), tape_view(x->t, m, 0, 1, m->cols));
}

/* Tr(Sw Sb^+).  The differences D of the means from the first one's, [groups - 1, d], have full rank, Sb = D^T M D, and
 * so Sb^+ = D^+ M^-1 D^+^T: with u_t = (D D^T)^-1 D w_t for each centred token w_t, the trace is the mean of
 * u^T M^-1 u. */
static tape_node *collapse(twin_eval *x, const clusters *k, tape_node *states, tape_node *centred)
{
    const size_t n = k->groups - 1;
    tape_node *D =
        tape_sub(x->t, tape_view(x->t, k->mean, 1, n, states->cols), tape_view(x->t, k->mean, 0, 1, states->cols));
    tape_node *G = tape_matmul_nt(x->t, D, D);
    tape_node *u = solve(x, G, tape_matmul_nt(x->t, D, centred));
    tape_node *rc = weighed(x, k, u);
    rc = tape_mean(x->t, rc, TAPE_ALL, k->T);
    if (!tape_rounds(x->t)) return rc;
    const double slack = condition_slack(x, k, states, centred, G, solve(x, G, identity(x, n)), tape_upper(rc, 0));
    return tape_slack(x->t, rc, &slack, NULL);
}

/* sqrt(n/T) (m_i - m) for each group, [groups, d], squared and summed this is Tr(Sb). */
static tape_node *between(twin_eval *x, const clusters *k, tape_node *states)
{
    tape_node *m = tape_mean(x->t, states, TAPE_ROWS, k->T), *q = shares(x, k, 0, k->groups);
    return tape_mul(x->t, tape_sub(x->t, k->mean, m), tape_apply(x->t, TAPE_SQRT, q));
}

/* Tr(a^T S^-1 a) of the columns a of [d, n], for a positive definite S [d, d]. */
static tape_node *inverse_trace(twin_eval *x, tape_node *S, tape_node *a)
{
    return tape_sum(x->t, tape_mul(x->t, solve(x, S, a), a), TAPE_ALL);
}

/* The transpose of a. */
static tape_node *across(twin_eval *x, tape_node *a) { return tape_matmul_tn(x->t, a, identity(x, a->rows)); }

/* Tr(Sw (Sb + e I)^-1) for e = 2^-20, with (D^T M D + e I)^-1 = (I - D^T (e M^-1 + D D^T)^-1 D) / e */
static tape_node *ridge(twin_eval *x, const clusters *k, tape_node *w)
{
    const size_t n = k->groups - 1;
    tape_node *D = differences(x, k), *one = tape_fill(x->t, 1, 1, 1), *p = tape_matmul_nt(x->t, D, w);
    tape_node *M = tape_mul(x->t, identity(x, n), tape_div(x->t, one, shares(x, k, 1, n)));
    M = tape_add(x->t, M, tape_div(x->t, one, shares(x, k, 0, 1)));
    tape_node *inside = tape_add(x->t, tape_matmul_nt(x->t, D, D), tape_scale(x->t, M, 0x1p-20));
    tape_node *all = tape_sum(x->t, tape_apply(x->t, TAPE_SQUARE, w), TAPE_ALL);
    return tape_scale(x->t, tape_sub(x->t, all, inverse_trace(x, inside, p)), 0x1p20);
}

static bool another_collapse(const twin_eval *x)
{
    static const char *const names[] = {"CollapseSwapped", "CollapseProduct", "CollapseTraces", "CollapseInverse",
                                        "CollapseUncentred"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (twin_is(x, names[i])) return true;
    return false;
}

/* The known mistakes that are other formulas: they need only be enclosed, not bounded fairly. */
static tape_node *other_collapse(twin_eval *x, const clusters *k, tape_node *states, tape_node *centred)
{
    tape_node *A = between(x, k, states), *w = tape_scale(x->t, centred, sqrt(1 / (double)k->T));
    if (twin_is(x, "CollapseSwapped")) return inverse_trace(x, tape_matmul_tn(x->t, w, w), across(x, A));
    if (twin_is(x, "CollapseInverse")) return ridge(x, k, w);
    if (twin_is(x, "CollapseUncentred")) { /* Sb = M^T M with the rows sqrt(n_i / T) m_i: Sb^+ = M^T (M M^T)^-2 M */
        tape_node *M = tape_mul(x->t, k->mean, tape_apply(x->t, TAPE_SQRT, shares(x, k, 0, k->groups)));
        if (M->rows >= M->cols) return inverse_trace(x, tape_matmul_tn(x->t, M, M), across(x, w));
        tape_node *u = solve(x, tape_matmul_nt(x->t, M, M), tape_matmul_nt(x->t, M, w));
        return tape_sum(x->t, tape_apply(x->t, TAPE_SQUARE, u), TAPE_ALL);
    }
    if (twin_is(x, "CollapseProduct")) /* Tr(Sw Sb) = sum of (w . a)^2 */
        return tape_sum(x->t, tape_apply(x->t, TAPE_SQUARE, tape_matmul_nt(x->t, w, A)), TAPE_ALL);
    tape_node *Sw = tape_sum(x->t, tape_apply(x->t, TAPE_SQUARE, w), TAPE_ALL);
    return tape_div(x->t, Sw, tape_sum(x->t, tape_apply(x->t, TAPE_SQUARE, A), TAPE_ALL)); /* CollapseTraces */
}

static void layer_collapse(twin_eval *x)
{
    tape_node *states = twin_in(x, "x");
    const size_t N = op_dim(x->c, 'N');
    if (!twin_given(x, "index", states->rows, 1, N)) return;
    clusters k = clusters_of(x, states);
    if (k.groups < 2) {
        twin_fail(x, "one expert alone has tokens:", "index");
    } else {
        tape_node *centred = tape_sub(x->t, states, tape_gather_rows(x->t, k.mean, k.T, k.group));
        tape_node *rc = (another_collapse(x) ? other_collapse : collapse)(x, &k, states, centred);
        if (twin_is(x, "CollapseDivisors")) /* T - n' and n' - 1 in the place of T */
            rc = tape_scale(x->t, rc, (double)(k.groups - 1) / (double)(k.T - k.groups));
        twin_out(x, "rc", rc);
    }
    clusters_free(&k);
}

static int ascending(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* How many tokens the loads say have moved: T less what the two multisets of experts have in common. */
static size_t loads_moved(const int64_t *a, const int64_t *b, size_t T)
{
    int64_t *p = op_room(T, sizeof *p), *q = op_room(T, sizeof *q);
    size_t i = 0, j = 0, same = 0;
    for (size_t t = 0; t < T; t++) {
        p[t] = a[t];
        q[t] = b[t];
    }
    qsort(p, T, sizeof *p, ascending);
    qsort(q, T, sizeof *q, ascending);
    while (i < T && j < T) {
        same += p[i] == q[j];
        const bool left = p[i] <= q[j], right = p[i] >= q[j];
        i += left;
        j += right;
    }
    free(p);
    free(q);
    return T - same;
}

static void layer_fluctuation(twin_eval *x)
{
    const int64_t *a = op_in_i64(x->c, "a"), *b = op_in_i64(x->c, "b");
    const size_t T = op_dim(x->c, 'T');
    size_t n = 0;
    for (size_t t = 0; t < T; t++) n += (a[t] != b[t]) != twin_is(x, "FluctuationStayed");
    if (twin_is(x, "ChangeOfLoads")) n = loads_moved(a, b, T);
    twin_out(x, "rate", tape_ratio(x->t, 1, 1, &n, twin_is(x, "FluctuationCount") ? 1 : T));
}

/* How many of a's K experts are among b's; by place: at the same place of the row. */
static size_t common(const int64_t *a, const int64_t *b, size_t K, bool by_place)
{
    size_t n = 0;
    for (size_t i = 0; i < K; i++)
        for (size_t j = 0; j < K; j++) n += a[i] == b[j] && (!by_place || i == j);
    return n;
}

/* The mean over tokens of 1 - n / (2 K - n), n the experts in common. */
static tape_node *jaccard(twin_eval *x, size_t T, const double *n, double K)
{
    double *both = op_room(T, sizeof *both);
    for (size_t t = 0; t < T; t++) both[t] = twin_is(x, "ChangePerExpert") ? K : 2 * K - n[t];
    tape_node *same = tape_div(x->t, twin_numbers(x, T, 1, n), twin_numbers(x, T, 1, both));
    free(both);
    tape_node *y = tape_mean(x->t, tape_sub(x->t, tape_fill(x->t, 1, 1, 1), same), TAPE_ALL, T);
    const double slack = 4 * tape_u(x->t); /* 1 - mean, or (2 K - 2 n) / (2 K - n) */
    return tape_rounds(x->t) && !arb_is_exact(y->v) ? tape_slack(x->t, y, &slack, NULL) : y;
}

static void layer_change(twin_eval *x)
{
    const int64_t *a = op_in_i64(x->c, "a"), *b = op_in_i64(x->c, "b");
    const size_t T = op_dim(x->c, 'T'), K = op_dim(x->c, 'K'), used = twin_is(x, "ChangeFirst") ? 1 : K;
    const bool sets = twin_is(x, "ChangeSet") ||
                      (op_is(x->c, "measure", "set") && !twin_is(x, "ChangeJaccard") && !twin_is(x, "ChangePerExpert"));
    double *n = op_room(T, sizeof *n);
    size_t changed = 0;
    for (size_t t = 0; t < T; t++) {
        const size_t k = common(a + t * K, b + t * K, used, twin_is(x, "ChangeOfOrder"));
        n[t] = (double)k;
        changed += k < used;
    }
    twin_out(x, "rate", sets ? tape_ratio(x->t, 1, 1, &changed, T) : jaccard(x, T, n, (double)used));
    free(n);
}

const twin_entry twin_layer[] = {
    {"layer.capacity", layer_capacity},
    {"layer.dispatch", layer_dispatch},
    {"layer.combine", layer_combine},
    {"layer.shared", layer_shared},
    {"layer.load", layer_load},
    {"layer.collapse", layer_collapse},
    {"layer.change", layer_change},
    {"layer.fluctuation", layer_fluctuation},
    {NULL, NULL},
};
