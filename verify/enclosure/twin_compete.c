/* The twin of spec/05-compete.md. */
#include "twin_parts.h"

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

static void compete_response(twin_eval *x)
{
    static const char *const kinds[] = {"softplus", "norm", "relu", "sigmoid", "silu"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (op_is(x->c, "kind", kinds[i])) twin_out(x, "s", response(x, kinds[i], twin_in(x, "o")));
}

/* --- route --- */

/* The winners' outputs [T K, d], in the order of the choice, from o [T N, d]. */
static tape_node *winners(twin_eval *x, tape_node *o)
{
    const twin_choice *c = &x->choice;
    size_t *row = calloc(c->T * c->K + 1, sizeof *row);
    if (!row) abort();
    for (size_t i = 0; i < c->T * c->K; i++) row[i] = i / c->K * c->N + c->of[i];
    tape_node *y = tape_gather_rows(x->t, o, c->T * c->K, row);
    free(row);
    return y;
}

static tape_node *winners_weights(twin_eval *x, tape_node *s, bool softmax)
{
    tape_node *v = tape_gather_cols(x->t, s, x->choice.K, x->choice.of);
    if ((softmax && !twin_is(x, "CompeteNormalisedWeights")) || twin_is(x, "WeightsSoftmaxScores"))
        return twin_softmax(x, v);
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
    tape_node *weight = winners_weights(x, s, first);
    twin_out(x, "s", s);
    twin_out(x, "weight", weight);
    twin_out(x, "y", twin_combine(x, winners(x, o), weight));
}

/* --- distillation --- */

/* Columns in the order of descending score: what an unsorted top-k over all experts makes of the router's scores. */
static tape_node *permuted(twin_eval *x, tape_node *r)
{
    size_t *col = calloc(r->rows * r->cols + 1, sizeof *col);
    if (!col) abort();
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

static tape_node *target(twin_eval *x, tape_node *s)
{
    const bool detach = op_is(x->c, "detach", "yes");
    if ((detach && !twin_is(x, "TargetNotDetached")) || twin_is(x, "TargetDetached")) s = tape_stop(x->t, s);
    if (!twin_is(x, "TargetMasked")) return twin_softmax(x, s);
    tape_node *w = twin_softmax(x, tape_gather_cols(x->t, s, x->choice.K, x->choice.of));
    return tape_scatter_cols(x->t, w, x->choice.N, x->choice.of);
}

static tape_node *distillation(twin_eval *x, tape_node *r, tape_node *s)
{
    const twin_choice *c = &x->choice;
    if (twin_is(x, "PermutedScores")) r = permuted(x, r);
    tape_node *square = tape_apply(x->t, TAPE_SQUARE, tape_sub(x->t, twin_softmax(x, r), target(x, s)));
    tape_node *all = tape_mean(x->t, square, TAPE_ALL, c->T * c->N);
    if (twin_is(x, "DistillNoWinners")) return all;
    const size_t n = c->T * (twin_is(x, "DistillWinnersSum") ? 1 : c->K);
    tape_node *won = tape_mean(x->t, tape_gather_cols(x->t, square, c->K, c->of), TAPE_ALL, n);
    const double theta = twin_is(x, "DistillNoTheta") ? 1 : op_real(x->c, "theta");
    return tape_add(x->t, all, tape_scale(x->t, won, theta));
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
    double *zero = calloc(o->rows + 1, sizeof *zero), *other = calloc(o->rows + 1, sizeof *other);
    if (!zero || !other) abort();
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
    size_t *row = calloc(T + 1, sizeof *row);
    if (!row) abort();
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
    double *forward = calloc(total->rows + 1, sizeof *forward);
    if (!forward) abort();
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
    tape_node **o = calloc(N + 1, sizeof *o);
    if (!o) abort();
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
        tape_node *v = tape_scale(x->t, term[i], op_real(x->c, coefficient[i]));
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
    twin_out(x, "loss", compete ? weighted(x, 3, given, coefficient) : weighted(x, 2, given + 2, coefficient + 2));
}

static void competing(twin_eval *x, tape_node *tokens, tape_node *r)
{
    const size_t T = r->rows, N = r->cols, K = (size_t)op_int(x->c, "k");
    tape_node *o = everyone(x, tokens, N);
    tape_node *s = tape_view(x->t, response(x, "softplus", o), 0, T, N);
    twin_scores(x, "index", s);
    if (!twin_decide(x, "index", T, K, N)) return;
    tape_node *won = winners(x, o), *weight = winners_weights(x, s, false), *zero = tape_fill(x->t, 1, 1, 0);
    twin_out(x, "y", twin_combine(x, won, weight));
    twin_out(x, "weight", weight);
    twin_out(x, "s", s);
    tape_node *const term[] = {distillation(x, r, s), diversity(x, won, T, K), twin_switch(x, twin_probabilities(x, s)),
                               zero};
    put_losses(x, term);
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
    tape_node *const term[] = {zero, zero, twin_switch(x, twin_probabilities(x, r)), twin_zloss(x, r)};
    put_losses(x, term);
}

static void compete_layer(twin_eval *x)
{
    tape_node *tokens = twin_in(x, "x");
    tape_node *r = tape_add(x->t, tape_matmul_nt(x->t, tokens, twin_in(x, "wr")), twin_in(x, "br"));
    twin_out(x, "r", r);
    if (op_is(x->c, "compete", "yes"))
        competing(x, tokens, r);
    else
        routing(x, tokens, r);
}

const twin_entry twin_compete[] = {
    {"compete.response", compete_response},   {"compete.route", compete_route}, {"compete.distill", compete_distill},
    {"compete.diversity", compete_diversity}, {"compete.layer", compete_layer}, {NULL, NULL},
};
