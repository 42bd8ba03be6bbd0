/* The twin of spec/01-expert.md, 02-gate.md and 03-layer.md. */
#include "twin_parts.h"

#include <stdlib.h>

/* --- experts --- */

tape_node *twin_linear(twin_eval *x, tape_node *rows, tape_node *w, tape_node *b)
{
    tape_node *a = tape_matmul_nt(x->t, rows, w);
    return b ? tape_add(x->t, a, b) : a;
}

static tape_function gelu_form(const twin_eval *x, bool tanh_form)
{
    if (twin_is(x, "GeluTanh")) return TAPE_GELU_TANH;
    if (twin_is(x, "GeluErf")) return TAPE_GELU;
    return tanh_form ? TAPE_GELU_TANH : TAPE_GELU;
}

/* ReluKink: the gradient passes where the argument is exactly 0 as well. */
tape_node *twin_activated(twin_eval *x, tape_function f, tape_node *a)
{
    tape_node *u = tape_apply(x->t, f, a);
    if (f != TAPE_RELU || !twin_is(x, "ReluKink")) return u;
    const size_t n = a->rows * a->cols;
    double *zero = op_room(n, sizeof *zero);
    for (size_t i = 0; i < n; i++) zero[i] = arb_is_zero(a->v + i);
    u = tape_add(x->t, u, tape_mul(x->t, a, twin_numbers(x, a->rows, a->cols, zero)));
    free(zero);
    return u;
}

static tape_node *two_layers(twin_eval *x, tape_function f, tape_node *rows, tape_node *w1, tape_node *b1,
                             tape_node *w2, tape_node *b2)
{
    if (twin_is(x, "MissingBias")) b2 = NULL;
    return twin_linear(x, twin_activated(x, f, twin_linear(x, rows, w1, b1)), w2, b2);
}

static void expert_relu(twin_eval *x)
{
    twin_out(x, "y",
             two_layers(x, TAPE_RELU, twin_in(x, "x"), twin_in(x, "w1"), twin_in(x, "b1"), twin_in(x, "w2"),
                        twin_in(x, "b2")));
}

static void expert_gelu(twin_eval *x)
{
    const tape_function f = gelu_form(x, op_is(x->c, "approximate", "tanh"));
    twin_out(x, "y",
             two_layers(x, f, twin_in(x, "x"), twin_in(x, "w1"), twin_in(x, "b1"), twin_in(x, "w2"), twin_in(x, "b2")));
}

static void expert_swiglu(twin_eval *x)
{
    tape_node *rows = twin_in(x, "x");
    tape_node *gate = tape_apply(x->t, TAPE_SILU, tape_matmul_nt(x->t, rows, twin_in(x, "w1")));
    tape_node *up = tape_matmul_nt(x->t, rows, twin_in(x, "w3"));
    if (twin_is(x, "SwappedGate")) { /* SiLU on the other branch */
        gate = tape_matmul_nt(x->t, rows, twin_in(x, "w1"));
        up = tape_apply(x->t, TAPE_SILU, up);
    }
    twin_out(x, "y", tape_matmul_nt(x->t, tape_mul(x->t, gate, up), twin_in(x, "w2")));
}

static void expert_keyvalue(twin_eval *x)
{
    tape_node *rows = twin_in(x, "x"), *keys = twin_in(x, "keys"), *values = twin_in(x, "values");
    const bool across = twin_is(x, "TransposedWeights") && keys->rows == keys->cols;
    tape_node *(*const product)(tape *, tape_node *, tape_node *) = across ? tape_matmul_nt : tape_matmul_nn;
    tape_node *a = product(x->t, rows, keys), *u = a;
    if (!twin_is(x, "MissingActivation")) u = twin_activated(x, twin_is(x, "GeluForRelu") ? TAPE_GELU : TAPE_RELU, a);
    if (twin_is(x, "ReluSquared")) u = tape_apply(x->t, TAPE_SQUARE, u);
    twin_out(x, "y", product(x->t, u, values));
}

tape_node *twin_ffn(twin_eval *x, size_t expert, tape_node *rows)
{
    static const char *const names[4] = {"w1", "b1", "w2", "b2"};
    return twin_ffn_of(x, names, expert, rows);
}

tape_node *twin_ffn_of(twin_eval *x, const char *const names[4], size_t expert, tape_node *rows)
{
    tape_node *w1 = twin_in(x, names[0]), *b1 = twin_in(x, names[1]);
    tape_node *w2 = twin_in(x, names[2]), *b2 = twin_in(x, names[3]);
    const size_t h = b1->cols, d = b2->cols;
    const tape_function f = op_is(x->c, "activation", "relu") ? TAPE_RELU : gelu_form(x, false);
    return two_layers(x, f, rows, tape_view(x->t, w1, expert * h, h, w1->cols), tape_view(x->t, b1, expert, 1, h),
                      tape_view(x->t, w2, expert * d, d, h), tape_view(x->t, b2, expert, 1, d));
}

/* --- gate --- */

static void gate_linear(twin_eval *x)
{
    tape_node *b = twin_is(x, "MissingBias") ? NULL : twin_in(x, "br");
    twin_out(x, "r", twin_linear(x, twin_in(x, "x"), twin_in(x, "wr"), b));
}

enum { TOPK_SOFTMAX, SOFTMAX_TOPK, RENORM, SOFTMAX_TWICE };

static int order_of(const twin_eval *x)
{
    if (twin_is(x, "NormTopK/topk-softmax")) return TOPK_SOFTMAX;
    if (twin_is(x, "NormTopK/softmax-topk")) return SOFTMAX_TOPK;
    if (twin_is(x, "NormTopK/softmax-topk-renorm")) return RENORM;
    if (twin_is(x, "DoubleSoftmaxWeights")) return SOFTMAX_TWICE;
    if (op_is(x->c, "order", "topk-softmax")) return TOPK_SOFTMAX;
    return op_is(x->c, "order", "softmax-topk") ? SOFTMAX_TOPK : RENORM;
}

tape_node *twin_weights(twin_eval *x, tape_node *r)
{
    const int order = order_of(x);
    /* Softmax of the chosen scores.  Who divides the chosen probabilities by their sum instead is right as well, rounds more,
     * and gives the experts that were not chosen a gradient that is 0 but for those roundings: that form makes the bound. */
    if (order == TOPK_SOFTMAX && !tape_rounds(x->t))
        return twin_softmax(x, tape_gather_cols(x->t, r, x->choice.K, x->choice.of));
    tape_node *p = tape_gather_cols(x->t, twin_softmax(x, r), x->choice.K, x->choice.of);
    if (order == SOFTMAX_TWICE) return twin_softmax(x, p);
    return order == SOFTMAX_TOPK ? p : tape_div(x->t, p, tape_sum(x->t, p, TAPE_COLS));
}

tape_node *twin_mirrored(twin_eval *x, tape_node *weight)
{
    size_t *col = op_room(weight->rows * weight->cols, sizeof *col);
    for (size_t i = 0; i < weight->rows; i++)
        for (size_t j = 0; j < weight->cols; j++) col[i * weight->cols + j] = weight->cols - 1 - j;
    tape_node *y = tape_gather_cols(x->t, weight, weight->cols, col);
    free(col);
    return y;
}

static void gate_weights(twin_eval *x)
{
    tape_node *r = twin_in(x, "r");
    twin_scores(x, "index", r);
    if (!twin_decide(x, "index", r->rows, (size_t)op_int(x->c, "k"), r->cols)) return;
    tape_node *weight = twin_weights(x, r);
    twin_out(x, "weight", twin_is(x, "SwappedWeights") ? twin_mirrored(x, weight) : weight);
}

/* --- layer --- */

/* How many choices fell on an expert. */
static size_t tokens_of(const twin_choice *c, size_t expert)
{
    size_t n = 0;
    for (size_t a = 0; a < c->T * c->K; a++) n += c->of[a] == expert;
    return n;
}

/* Blocks of one choice and one expert: a candidate may run an expert once for each of the K choices, and then its
 * weights get a gradient from each, or once for all of them, and then it is one sum. */
tape_node *twin_dispatch(twin_eval *x, tape_node *tokens)
{
    const twin_choice *c = &x->choice;
    const size_t T = c->T, K = c->K, d = twin_in(x, "b2")->cols;
    if (T * K == 0) return tape_fill(x->t, 0, d, 0);
    size_t *rows = op_room(T, sizeof *rows), *where = op_room(T * K, sizeof *where), blocks = 0, at = 0;
    tape_node **block = op_room(K * c->N, sizeof *block);
    for (size_t j = 0; j < K; j++)
        for (size_t i = 0; i < c->N; i++) {
            size_t n = 0;
            for (size_t t = 0; t < T; t++) {
                if (c->of[t * K + j] != i) continue;
                rows[n++] = t;
                where[t * K + j] = at++;
            }
            if (!n) continue;
            tape_together(x->t, tokens_of(c, i));
            block[blocks++] = twin_ffn(x, twin_is(x, "MisalignedExperts") ? (i + 1) % c->N : i,
                                       tape_gather_rows(x->t, tokens, n, rows));
        }
    tape_together(x->t, 0);
    tape_node *y = tape_gather_rows(x->t, tape_concat_rows(x->t, blocks, block), T * K, where);
    free(rows);
    free(where);
    free(block);
    return y;
}

tape_node *twin_combine(twin_eval *x, tape_node *outputs, tape_node *weight)
{
    const size_t T = weight->rows, K = weight->cols;
    if (twin_is(x, "SwappedWeights")) weight = twin_mirrored(x, weight);
    if (twin_is(x, "CombineGradNone")) weight = tape_stop(x->t, weight);
    return tape_sum_groups(x->t, tape_mul(x->t, outputs, tape_view(x->t, weight, 0, T * K, 1)), K);
}

static void layer_smoe(twin_eval *x)
{
    tape_node *tokens = twin_in(x, "x");
    tape_node *r = twin_linear(x, tokens, twin_in(x, "wr"), twin_in(x, "br"));
    twin_scores(x, "index", r);
    if (!twin_decide(x, "index", r->rows, (size_t)op_int(x->c, "k"), r->cols)) return;
    tape_node *weight = twin_weights(x, r);
    twin_out(x, "weight", weight);
    twin_out(x, "r", r);
    twin_out(x, "y", twin_loss(x, twin_combine(x, twin_dispatch(x, tokens), weight)));
}

const twin_entry twin_expert[] = {
    {"expert.relu", expert_relu},     {"expert.gelu", expert_gelu},
    {"expert.swiglu", expert_swiglu}, {"expert.keyvalue", expert_keyvalue},
    {"gate.linear", gate_linear},     {"gate.weights", gate_weights},
    {"layer.smoe", layer_smoe},       {NULL, NULL},
};
