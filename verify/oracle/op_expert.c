/* Operations of chapter E: spec/01-expert.md. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "expert.h"
#include "op.h"

/* n zeroed doubles; never NULL. */
static double *room(size_t n)
{
    double *p = calloc(n ? n : 1, sizeof *p);
    if (!p) {
        fprintf(stderr, "smoeref: out of memory\n");
        abort();
    }
    return p;
}

static const char *check(const op_case *c)
{
    if (op_dim(c, 'd') < 1) return "d must be at least 1: a token has no coordinates";
    return op_dim(c, 'h') < 1 ? "h must be at least 1: the expert has no hidden unit" : NULL;
}

/* --- expert.relu, expert.gelu ------------------------------------------------------------------------------------- */

static const op_tensor mlp_in[] = {
    {"x", "T,d", OP_INPUT, OP_DIFF, "tokens"},
    {"w1", "h,d", OP_INPUT, OP_DIFF, "first layer, a = W1 x + b1"},
    {"b1", "h", OP_INPUT, OP_DIFF, "bias of the first layer"},
    {"w2", "d,h", OP_INPUT, OP_DIFF, "second layer, y = W2 u + b2"},
    {"b2", "d", OP_INPUT, OP_DIFF, "bias of the second layer"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor expert_out[] = {
    {"y", "T,d", OP_BOUNDED, OP_DIFF, "the expert's output for each token"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param gelu_param[] = {
    {"approximate", OP_CHOICE, "none|tanh", "GELU itself, or its tanh form"},
    {NULL, OP_INT, NULL, NULL},
};

typedef struct {
    size_t T, d, h;
    double *a, *u, *y;
} mlp;

static smoe_status run_mlp(smoe_activation phi, const op_case *c, mlp *m)
{
    *m = (mlp){op_dim(c, 'T'), op_dim(c, 'd'), op_dim(c, 'h'), NULL, NULL, op_out(c, "y")};
    m->a = room(m->T * m->h);
    m->u = room(m->T * m->h);
    return smoe_expert_mlp(phi, m->T, m->d, m->h, op_in(c, "x"), op_in(c, "w1"), op_in(c, "b1"), op_in(c, "w2"),
                           op_in(c, "b2"), m->a, m->u, m->y);
}

static smoe_status mlp_forward(smoe_activation phi, const op_case *c)
{
    mlp m;
    const smoe_status status = run_mlp(phi, c, &m);
    free(m.a);
    free(m.u);
    return status;
}

static smoe_status mlp_vjp(smoe_activation phi, const op_case *c)
{
    mlp m;
    smoe_status status = run_mlp(phi, c, &m);
    double *da = room(m.T * m.h);
    if (status == SMOE_OK)
        status = smoe_expert_mlp_vjp(phi, m.T, m.d, m.h, op_in(c, "x"), op_in(c, "w1"), op_in(c, "w2"), m.a, m.u,
                                     op_cot(c, "y"), op_grad(c, "x"), op_grad(c, "w1"), op_grad(c, "b1"),
                                     op_grad(c, "w2"), op_grad(c, "b2"), da);
    free(m.a);
    free(m.u);
    free(da);
    return status;
}

static smoe_activation gelu_of(const op_case *c)
{
    return op_is(c, "approximate", "tanh") ? SMOE_GELU_TANH : SMOE_GELU;
}
static smoe_status relu_forward(op_case *c) { return mlp_forward(SMOE_RELU, c); }
static smoe_status relu_vjp(op_case *c) { return mlp_vjp(SMOE_RELU, c); }
static smoe_status gelu_forward(op_case *c) { return mlp_forward(gelu_of(c), c); }
static smoe_status gelu_vjp(op_case *c) { return mlp_vjp(gelu_of(c), c); }

/* Integers -2 ... 2: every product, sum and ReLU is exact in every precision. */
static void small_integers(op_rng *r, size_t n, double *x)
{
    for (size_t k = 0; k < n; k++) x[k] = (double)op_below(r, 5) - 2;
}

static void fill_integers(op_case *c, op_rng *r)
{
    for (size_t i = 0; c->op->in[i].name; i++) small_integers(r, c->in[i].count, c->in[i].f64);
    small_integers(r, op_dim(c, 'T') * op_dim(c, 'd'), op_cot(c, "y"));
}

/* The same with x_t = 0 for even t and b1 = 0: every pre-activation of these tokens is exactly 0. */
static void fill_kink(op_case *c, op_rng *r)
{
    fill_integers(c, r);
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd'), h = op_dim(c, 'h');
    for (size_t t = 0; t < T; t += 2)
        for (size_t k = 0; k < d; k++) op_in(c, "x")[t * d + k] = 0;
    for (size_t k = 0; k < h; k++) op_in(c, "b1")[k] = 0;
}

/* Biases as large as what they are added to, all of one sign. */
static void fill_biased(op_case *c, op_rng *r)
{
    op_fill_default(c, r);
    for (size_t k = 0; k < op_dim(c, 'h'); k++) op_in(c, "b1")[k] = op_representable(2 + op_uniform(r));
    for (size_t k = 0; k < op_dim(c, 'd'); k++) op_in(c, "b2")[k] = op_representable(4 + op_uniform(r));
}

/* All hidden units far below 0: y = b2 and nothing flows back. */
static void fill_dead(op_case *c, op_rng *r)
{
    op_fill_default(c, r);
    for (size_t k = 0; k < op_dim(c, 'h'); k++) op_in(c, "b1")[k] = -64;
}

/* d = h and weights above the diagonal only: the transpose is another matrix altogether. */
static void upper(op_rng *r, size_t d, double *w)
{
    for (size_t i = 0; i < d; i++)
        for (size_t k = 0; k < d; k++) w[i * d + k] = k >= i ? op_representable(1 + op_uniform(r)) : 0;
}

static void fill_triangular(op_case *c, op_rng *r)
{
    op_fill_default(c, r);
    upper(r, op_dim(c, 'd'), op_in(c, "w1"));
    upper(r, op_dim(c, 'd'), op_in(c, "w2"));
}

/* W1 = W2 = I, no biases, so that y is the activation of x itself, x between lo and lo + 1. */
static void identity(op_case *c, op_rng *r, double lo)
{
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd');
    for (size_t i = 0; c->op->in[i].name; i++)
        for (size_t k = 0; k < c->in[i].count; k++) c->in[i].f64[k] = 0;
    for (size_t k = 0; k < d; k++) op_in(c, "w1")[k * d + k] = op_in(c, "w2")[k * d + k] = 1;
    for (size_t k = 0; k < T * d; k++) op_in(c, "x")[k] = op_representable(lo + op_uniform(r));
}

static void fill_left_tail(op_case *c, op_rng *r) { identity(c, r, -4.5); }
static void fill_far_left(op_case *c, op_rng *r) { identity(c, r, -9); }
static void fill_middle(op_case *c, op_rng *r) { identity(c, r, -2.75); }

static const op_spec relu_cases[] = {
    {"small", "smoke", "T=3,d=4,h=5", "", "", "a first look", NULL},
    {"random", "core", "T=8,d=8,h=16", "", "", "normal tokens, weights of variance 1/fan-in", NULL},
    {"one-token", "core", "T=1,d=6,h=12", "", "", "a batch of one", NULL},
    {"narrow", "core", "T=5,d=7,h=2", "", "", "fewer hidden units than coordinates", NULL},
    {"one-unit", "core", "T=4,d=1,h=1", "", "", "the smallest expert", NULL},
    {"no-tokens", "core", "T=0,d=3,h=4", "", "ZeroTokenExpert", "an expert that nobody chose: gradients exactly 0",
     NULL},
    {"integers", "adversarial", "T=6,d=4,h=8", "", "exact", "integers: exact in every precision and order",
     fill_integers},
    {"kink", "adversarial", "T=6,d=4,h=8", "", "exact,ReluKink",
     "pre-activations that are exactly 0: the derivative there is 0, not 1/2 and not 1", fill_kink},
    {"biased", "adversarial", "T=6,d=5,h=8", "", "MissingBias", "biases as large as what they are added to",
     fill_biased},
    {"dead", "adversarial", "T=4,d=4,h=6", "", "DeadExpert", "no unit is on: y = b2 and d_w1, d_b1, d_w2, d_x are 0",
     fill_dead},
    {"triangular", "adversarial", "T=6,d=6,h=6", "", "TransposedWeights",
     "d = h, so that a transposed matrix fits, and shows", fill_triangular},
    {"large", "large", "T=64,d=64,h=128", "", "", "sums of 64 and 128 terms", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

static const op_spec gelu_cases[] = {
    {"small", "smoke", "T=3,d=4,h=5", "", "", "a first look", NULL},
    {"random", "core", "T=8,d=8,h=16", "", "", "normal tokens, weights of variance 1/fan-in", NULL},
    {"random-tanh", "core", "T=8,d=8,h=16", "approximate=tanh", "", "the tanh form", NULL},
    {"one-token", "core", "T=1,d=6,h=12", "", "", "a batch of one", NULL},
    {"one-unit-tanh", "core", "T=4,d=1,h=1", "approximate=tanh", "", "the smallest expert", NULL},
    {"no-tokens", "core", "T=0,d=3,h=4", "", "ZeroTokenExpert", "an expert that nobody chose: gradients exactly 0",
     NULL},
    {"left-tail", "adversarial", "T=4,d=6,h=6", "", "GeluTanh",
     "y = GELU(x) near -4, where the tanh form is about half as large", fill_left_tail},
    {"left-tail-tanh", "adversarial", "T=4,d=6,h=6", "approximate=tanh", "GeluErf", "the same for the tanh form",
     fill_left_tail},
    {"far-left", "adversarial", "T=4,d=6,h=6", "", "GeluCancellation",
     "y = GELU(x) from -9 to -8: 1 + erf cancels, erfc does not", fill_far_left},
    {"middle", "adversarial", "T=4,d=6,h=6", "", "GeluTanh", "where the two forms are furthest apart in absolute terms",
     fill_middle},
    {"middle-tanh", "adversarial", "T=4,d=6,h=6", "approximate=tanh", "GeluErf", "the same for the tanh form",
     fill_middle},
    {"biased", "adversarial", "T=6,d=5,h=8", "", "MissingBias", "biases as large as what they are added to",
     fill_biased},
    {"triangular", "adversarial", "T=6,d=6,h=6", "", "TransposedWeights",
     "d = h, so that a transposed matrix fits, and shows", fill_triangular},
    {"large", "large", "T=64,d=64,h=128", "", "", "sums of 64 and 128 terms", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- expert.swiglu ------------------------------------------------------------------------------------------------ */

static const op_tensor swiglu_in[] = {
    {"x", "T,d", OP_INPUT, OP_DIFF, "tokens"},
    {"w1", "h,d", OP_INPUT, OP_DIFF, "the branch that goes through SiLU"},
    {"w3", "h,d", OP_INPUT, OP_DIFF, "the linear branch"},
    {"w2", "d,h", OP_INPUT, OP_DIFF, "output layer"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};

typedef struct {
    size_t T, d, h;
    double *a, *v, *u;
} glu;

static smoe_status run_glu(const op_case *c, glu *g)
{
    *g = (glu){op_dim(c, 'T'), op_dim(c, 'd'), op_dim(c, 'h'), NULL, NULL, NULL};
    g->a = room(g->T * g->h);
    g->v = room(g->T * g->h);
    g->u = room(g->T * g->h);
    return smoe_expert_swiglu(g->T, g->d, g->h, op_in(c, "x"), op_in(c, "w1"), op_in(c, "w3"), op_in(c, "w2"), g->a,
                              g->v, g->u, op_out(c, "y"));
}

static void free_glu(glu *g)
{
    free(g->a);
    free(g->v);
    free(g->u);
}

static smoe_status swiglu_forward(op_case *c)
{
    glu g;
    const smoe_status status = run_glu(c, &g);
    free_glu(&g);
    return status;
}

static smoe_status swiglu_vjp(op_case *c)
{
    glu g;
    smoe_status status = run_glu(c, &g);
    double *da = room(g.T * g.h), *dv = room(g.T * g.h);
    if (status == SMOE_OK)
        status = smoe_expert_swiglu_vjp(g.T, g.d, g.h, op_in(c, "x"), op_in(c, "w1"), op_in(c, "w3"), op_in(c, "w2"),
                                        g.a, g.v, g.u, op_cot(c, "y"), op_grad(c, "x"), op_grad(c, "w1"),
                                        op_grad(c, "w3"), op_grad(c, "w2"), da, dv);
    free_glu(&g);
    free(da);
    free(dv);
    return status;
}

/* W1 = I and W3 = -2 I: y = -2 x SiLU(x) for x in [1, 2); with the branches exchanged it is x SiLU(-2 x). */
static void fill_branches(op_case *c, op_rng *r)
{
    identity(c, r, 1);
    for (size_t k = 0; k < op_dim(c, 'd'); k++) op_in(c, "w3")[k * op_dim(c, 'd') + k] = -2;
}

static void fill_closed(op_case *c, op_rng *r)
{
    identity(c, r, -9);
    for (size_t k = 0; k < op_dim(c, 'd'); k++) op_in(c, "w3")[k * op_dim(c, 'd') + k] = 1;
}

/* W1 = 0: SiLU(0) = 0, so y = 0, d_w3 = 0 and d_w1 has only the factor 1/2: all exact. */
static void fill_shut(op_case *c, op_rng *r)
{
    fill_integers(c, r);
    for (size_t k = 0; k < op_dim(c, 'h') * op_dim(c, 'd'); k++) op_in(c, "w1")[k] = 0;
}

static const op_spec swiglu_cases[] = {
    {"small", "smoke", "T=3,d=4,h=5", "", "", "a first look", NULL},
    {"random", "core", "T=8,d=8,h=16", "", "", "normal tokens, weights of variance 1/fan-in", NULL},
    {"one-token", "core", "T=1,d=6,h=12", "", "", "a batch of one", NULL},
    {"one-unit", "core", "T=4,d=1,h=1", "", "", "the smallest expert", NULL},
    {"no-tokens", "core", "T=0,d=3,h=4", "", "ZeroTokenExpert", "an expert that nobody chose: gradients exactly 0",
     NULL},
    {"branches", "adversarial", "T=4,d=5,h=5", "", "SwappedGate",
     "SiLU on the other branch gives another sign and size", fill_branches},
    {"closed", "adversarial", "T=4,d=5,h=5", "", "", "SiLU far to the left, where it is small and negative",
     fill_closed},
    {"shut", "adversarial", "T=4,d=5,h=6", "", "exact", "W1 = 0: y = 0, and d_w1 is half of an integer", fill_shut},
    {"triangular", "adversarial", "T=6,d=6,h=6", "", "TransposedWeights",
     "d = h, so that a transposed matrix fits, and shows", fill_triangular},
    {"large", "large", "T=64,d=64,h=128", "", "", "sums of 64 and 128 terms", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- expert.keyvalue ---------------------------------------------------------------------------------------------- */

static const op_tensor keyvalue_in[] = {
    {"x", "T,d", OP_INPUT, OP_DIFF, "tokens"},
    {"keys", "d,h", OP_INPUT, OP_DIFF, "column k is the key of hidden unit k, a = x keys"},
    {"values", "h,d", OP_INPUT, OP_DIFF, "row k is its value, y = max(a, 0) values"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};

static smoe_status run_keyvalue(const op_case *c, double *a, double *u)
{
    return smoe_expert_keyvalue(op_dim(c, 'T'), op_dim(c, 'd'), op_dim(c, 'h'), op_in(c, "x"), op_in(c, "keys"),
                                op_in(c, "values"), a, u, op_out(c, "y"));
}

static smoe_status keyvalue_forward(op_case *c)
{
    const size_t n = op_dim(c, 'T') * op_dim(c, 'h');
    double *a = room(n), *u = room(n);
    const smoe_status status = run_keyvalue(c, a, u);
    free(a);
    free(u);
    return status;
}

static smoe_status keyvalue_vjp(op_case *c)
{
    const size_t T = op_dim(c, 'T'), h = op_dim(c, 'h');
    double *a = room(T * h), *u = room(T * h), *da = room(T * h);
    smoe_status status = run_keyvalue(c, a, u);
    if (status == SMOE_OK)
        status =
            smoe_expert_keyvalue_vjp(T, op_dim(c, 'd'), h, op_in(c, "x"), op_in(c, "keys"), op_in(c, "values"), a, u,
                                     op_cot(c, "y"), op_grad(c, "x"), op_grad(c, "keys"), op_grad(c, "values"), da);
    free(a);
    free(u);
    free(da);
    return status;
}

/* Keys of variance 1/d and values of variance 1/h, as linear layers of that fan-in have. */
static void fill_keyvalue(op_case *c, op_rng *r)
{
    const size_t d = op_dim(c, 'd'), h = op_dim(c, 'h');
    op_fill_normal(r, 1, op_dim(c, 'T') * d, op_in(c, "x"));
    op_fill_normal(r, 1 / sqrt((double)d), d * h, op_in(c, "keys"));
    op_fill_normal(r, 1 / sqrt((double)h), h * d, op_in(c, "values"));
}

/* Integers; even tokens are 0, so that all their pre-activations are exactly 0. */
static void fill_keyvalue_kink(op_case *c, op_rng *r)
{
    fill_integers(c, r);
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd');
    for (size_t t = 0; t < T; t += 2)
        for (size_t k = 0; k < d; k++) op_in(c, "x")[t * d + k] = 0;
}

/* d = h and keys and values above the diagonal only: the transpose is another matrix altogether. */
static void fill_keyvalue_triangular(op_case *c, op_rng *r)
{
    fill_keyvalue(c, r);
    upper(r, op_dim(c, 'd'), op_in(c, "keys"));
    upper(r, op_dim(c, 'd'), op_in(c, "values"));
}

/* Every pre-activation is below 0: y = 0, and so is every gradient. */
static void fill_keyvalue_dead(op_case *c, op_rng *r)
{
    fill_keyvalue(c, r);
    double *const x = op_in(c, "x"), *const keys = op_in(c, "keys");
    for (size_t k = 0; k < op_dim(c, 'T') * op_dim(c, 'd'); k++) x[k] = x[k] < 0 ? -x[k] : x[k] + 1;
    for (size_t k = 0; k < op_dim(c, 'd') * op_dim(c, 'h'); k++) keys[k] = keys[k] > 0 ? -keys[k] : keys[k];
    for (size_t k = 0; k < op_dim(c, 'T') * op_dim(c, 'd'); k++) x[k] = op_representable(x[k]);
}

static const op_spec keyvalue_cases[] = {
    {"small", "smoke", "T=3,d=4,h=5", "", "", "a first look", fill_keyvalue},
    {"random", "core", "T=8,d=8,h=16", "", "", "normal tokens, keys of variance 1/d, values of 1/h", fill_keyvalue},
    {"one-token", "core", "T=1,d=6,h=12", "", "", "a batch of one", fill_keyvalue},
    {"one-unit", "core", "T=4,d=1,h=1", "", "", "the smallest expert", fill_keyvalue},
    {"no-tokens", "core", "T=0,d=3,h=4", "", "ZeroTokenExpert",
     "an expert that nobody chose: gradients exactly 0; NVIDIA-NeMo/Automodel#532", fill_keyvalue},
    {"integers", "adversarial", "T=6,d=4,h=8", "", "exact,MissingActivation",
     "integers: exact in every precision and order",
     fill_integers},
    {"kink", "adversarial", "T=6,d=4,h=8", "", "exact,ReluKink",
     "pre-activations that are exactly 0: the derivative there is 0, not 1/2 and not 1", fill_keyvalue_kink},
    {"dead", "adversarial", "T=4,d=4,h=6", "", "DeadExpert,GeluForRelu", "no unit is on: y and all gradients are 0",
     fill_keyvalue_dead},
    {"triangular", "adversarial", "T=6,d=6,h=6", "", "TransposedWeights,ReluSquared",
     "d = h, so that a transposed matrix fits, and shows", fill_keyvalue_triangular},
    {"large", "large", "T=64,d=64,h=128", "", "", "sums of 64 and 128 terms", fill_keyvalue},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

const op_record op_expert[] = {
    {"expert.relu", "ReLU expert", "E.1", "y = W2 max(W1 x + b1, 0) + b2; ReLU'(0) = 0",
     "Vaswani et al. 2017, eq. (2) (from memory, high confidence); public code of CompeteSMoE v1 and SimSMoE (read)",
     "ref/expert.c: smoe_expert_relu, smoe_expert_relu_vjp", mlp_in, expert_out, NULL, relu_cases, check, relu_forward,
     relu_vjp},
    {"expert.gelu", "GELU expert", "E.2 E.3",
     "y = W2 GELU(W1 x + b1) + b2; GELU(a) = a Phi(a), or a/2 (1 + tanh(sqrt(2/pi) (a + 0.044715 a^3)))",
     "Hendrycks and Gimpel 2016 (from memory, high confidence); public code of CompeteSMoE v2 (read)",
     "ref/expert.c: smoe_expert_gelu, smoe_expert_gelu_vjp, smoe_expert_gelu_tanh, smoe_expert_gelu_tanh_vjp", mlp_in,
     expert_out, gelu_param, gelu_cases, check, gelu_forward, gelu_vjp},
    {"expert.swiglu", "SwiGLU expert", "E.4", "y = W2 (SiLU(W1 x) * (W3 x)); SiLU(a) = a sigmoid(a)",
     "Shazeer 2020, GLU variants (from memory, high confidence)",
     "ref/expert.c: smoe_expert_swiglu, smoe_expert_swiglu_vjp", swiglu_in, expert_out, NULL, swiglu_cases, check,
     swiglu_forward, swiglu_vjp},
    {"expert.keyvalue", "Key/value expert", "E.5", "y = max(x keys, 0) values; ReLU'(0) = 0",
     "public pre-training code of CompeteSMoE v2 (read); the layout of sigma-MoE and MoEUT (from memory, high "
     "confidence)",
     "ref/expert.c: smoe_expert_keyvalue, smoe_expert_keyvalue_vjp", keyvalue_in, expert_out, NULL, keyvalue_cases,
     check, keyvalue_forward, keyvalue_vjp},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
