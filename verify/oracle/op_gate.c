/* Operations of chapter G: spec/02-gate.md. */
#include <stdint.h>
#include <stdlib.h>

#include "gate.h"
#include "op.h"

/* --- gate.linear -------------------------------------------------------------------------------------------------- */

static const op_tensor linear_in[] = {
    {"x", "T,d", OP_INPUT, OP_DIFF, "tokens"},
    {"wr", "N,d", OP_INPUT, OP_DIFF, "the router's weights, one row an expert"},
    {"br", "N", OP_INPUT, OP_DIFF, "the router's bias"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor linear_out[] = {
    {"r", "T,N", OP_BOUNDED, OP_DIFF, "router logits, r = Wr x + br"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};

static const char *linear_check(const op_case *c)
{
    if (op_dim(c, 'd') < 1) return "d must be at least 1: a token has no coordinates";
    return op_dim(c, 'N') < 1 ? "N must be at least 1: there is no expert" : NULL;
}

static smoe_status linear_forward(op_case *c)
{
    return smoe_gate_linear(op_dim(c, 'T'), op_dim(c, 'd'), op_dim(c, 'N'), op_in(c, "x"), op_in(c, "wr"),
                            op_in(c, "br"), op_out(c, "r"));
}

static smoe_status linear_vjp(op_case *c)
{
    return smoe_gate_linear_vjp(op_dim(c, 'T'), op_dim(c, 'd'), op_dim(c, 'N'), op_in(c, "x"), op_in(c, "wr"),
                                op_cot(c, "r"), op_grad(c, "x"), op_grad(c, "wr"), op_grad(c, "br"));
}

/* Integers -2 ... 2: exact in every precision. */
static void fill_integers(op_case *c, op_rng *r)
{
    for (size_t i = 0; c->op->in[i].name; i++)
        for (size_t k = 0; k < c->in[i].count; k++) c->in[i].f64[k] = (double)op_below(r, 5) - 2;
    for (size_t k = 0; k < op_dim(c, 'T') * op_dim(c, 'N'); k++) op_cot(c, "r")[k] = (double)op_below(r, 5) - 2;
}

static void fill_biased(op_case *c, op_rng *r)
{
    op_fill_default(c, r);
    for (size_t i = 0; i < op_dim(c, 'N'); i++) op_in(c, "br")[i] = op_representable(4 + op_uniform(r));
}

/* N = d and weights above the diagonal only: the transpose is another matrix altogether. */
static void fill_triangular(op_case *c, op_rng *r)
{
    const size_t d = op_dim(c, 'd');
    op_fill_default(c, r);
    for (size_t i = 0; i < d; i++)
        for (size_t k = 0; k < d; k++) op_in(c, "wr")[i * d + k] = k >= i ? op_representable(1 + op_uniform(r)) : 0;
}

static const op_spec linear_cases[] = {
    {"small", "smoke", "T=3,d=4,N=4", "", "", "a first look", NULL},
    {"random", "core", "T=16,d=8,N=6", "", "", "normal tokens, weights of variance 1/fan-in", NULL},
    {"one-token", "core", "T=1,d=5,N=3", "", "", "a batch of one", NULL},
    {"one-expert", "core", "T=4,d=5,N=1", "", "", "one logit a token", NULL},
    {"no-tokens", "core", "T=0,d=3,N=4", "", "", "no tokens: gradients of the weights exactly 0", NULL},
    {"integers", "adversarial", "T=6,d=5,N=4", "", "exact", "integers: exact in every precision and order",
     fill_integers},
    {"biased", "adversarial", "T=6,d=5,N=4", "", "MissingBias", "a bias as large as the rest", fill_biased},
    {"triangular", "adversarial", "T=6,d=5,N=5", "", "TransposedWeights",
     "N = d, so that a transposed matrix fits, and shows", fill_triangular},
    {"large", "large", "T=64,d=64,N=8", "", "", "sums of 64 terms", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- gate.weights ------------------------------------------------------------------------------------------------- */

static const op_tensor weights_in[] = {
    {"r", "T,N", OP_INPUT, OP_DIFF, "router logits"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor weights_out[] = {
    {"index", "T,K", OP_DECISION, OP_I64,
     "the K experts of each token, largest logit first, lowest index among equals"},
    {"weight", "T,K", OP_BOUNDED, OP_DIFF, "weight of each of them, in the order of index"},
    {"margin", "T", OP_STAGE, OP_MARGIN, "K-th minus (K+1)-th largest logit, +inf if K = N"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param weights_param[] = {
    {"k", OP_INT, "2", "experts a token"},
    {"order", OP_CHOICE, "topk-softmax|softmax-topk|softmax-topk-renorm", "G.2, G.3 or G.4"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *weights_check(const op_case *c)
{
    if (op_dim(c, 'N') < 1) return "N must be at least 1: there is no expert";
    if (op_int(c, "k") < 1) return "k must be at least 1: a token has at least one expert";
    return op_int(c, "k") > (long)op_dim(c, 'N')
               ? "k must be at most N: a token cannot have more experts than there are"
               : NULL;
}

static smoe_weight_order order_of(const op_case *c)
{
    if (op_is(c, "order", "topk-softmax")) return SMOE_TOPK_SOFTMAX;
    return op_is(c, "order", "softmax-topk") ? SMOE_SOFTMAX_TOPK : SMOE_SOFTMAX_TOPK_RENORM;
}

static smoe_status weights_forward(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K');
    size_t *index = op_room(T * K, sizeof *index);
    double *p = op_room(T * N, sizeof *p);
    const smoe_status status =
        smoe_gate_weights(order_of(c), T, N, K, op_in(c, "r"), index, op_out(c, "weight"), op_out(c, "margin"), p);
    op_write_index(c, "index", T * K, index);
    free(index);
    free(p);
    return status;
}

static smoe_status weights_vjp(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K');
    size_t *index = op_room(T * K, sizeof *index);
    double *p = op_room(T * N, sizeof *p), *work = op_room(N, sizeof *work);
    smoe_status status =
        smoe_gate_weights(order_of(c), T, N, K, op_in(c, "r"), index, op_out(c, "weight"), op_out(c, "margin"), p);
    if (status == SMOE_OK)
        status = smoe_gate_weights_vjp(order_of(c), T, N, K, index, op_out(c, "weight"), p, op_cot(c, "weight"),
                                       op_grad(c, "r"), work);
    free(index);
    free(p);
    free(work);
    return status;
}

/* Logits at least a quarter apart: no decision is in doubt at any precision. */
static void fill_apart(op_case *c, op_rng *r) { op_fill_apart(r, 0.25, op_dim(c, 'T'), op_dim(c, 'N'), op_in(c, "r")); }

static void fill_steep(op_case *c, op_rng *r) { op_fill_apart(r, 8, op_dim(c, 'T'), op_dim(c, 'N'), op_in(c, "r")); }

/* The level of the expert that is `rank` places behind the best one; which one is the best moves with t. */
static void by_rank(op_case *c, double (*level)(size_t rank))
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) op_in(c, "r")[t * N + i] = level((i + 3 * t) % N);
}

/* The best leads by 4, so its probability is near 1; the rest is half a unit apart. */
static double leader(size_t rank) { return rank == 0 ? 6 : 2 - 0.5 * (double)rank; }
/* The two best lead by little: nearly half of the probability is not selected. */
static double crowd(size_t rank) { return 1 - 0.25 * (double)rank; }
static double far_behind(size_t rank) { return rank == 0 ? 0 : -800 - 8 * (double)rank; }
static double far_apart(size_t rank) { return 61440 - 8192 * (double)rank; }
static double two_pairs(size_t rank) { return rank < 2 ? 0 : -2000; }

static void fill_leader(op_case *c, op_rng *r)
{
    (void)r;
    by_rank(c, leader);
}
static void fill_crowd(op_case *c, op_rng *r)
{
    (void)r;
    by_rank(c, crowd);
}
static void fill_far_behind(op_case *c, op_rng *r)
{
    (void)r;
    by_rank(c, far_behind);
}
static void fill_far_apart(op_case *c, op_rng *r)
{
    (void)r;
    by_rank(c, far_apart);
}
static void fill_two_pairs(op_case *c, op_rng *r)
{
    (void)r;
    by_rank(c, two_pairs);
}

static void fill_equal(op_case *c, op_rng *r)
{
    const double level = op_representable(op_normal(r));
    for (size_t k = 0; k < op_dim(c, 'T') * op_dim(c, 'N'); k++) op_in(c, "r")[k] = level;
}

/* -0 and +0 by turns, which are equal; then the last expert takes the lead. */
static void fill_zeros(op_case *c, op_rng *r)
{
    (void)r;
    const size_t N = op_dim(c, 'N');
    for (size_t t = 0; t < op_dim(c, 'T'); t++) {
        for (size_t i = 0; i < N; i++) op_in(c, "r")[t * N + i] = (t + i) % 2 == 0 ? -0.0 : 0.0;
        if (t % 2 == 1) op_in(c, "r")[t * N + N - 1] = 1;
    }
}

static const op_spec weights_cases[] = {
    {"small", "smoke", "T=4,N=4", "k=2", "", "a first look", fill_apart},
    {"random", "core", "T=16,N=8", "k=2", "", "standard normal logits", NULL},
    {"random-before", "core", "T=16,N=8", "k=2,order=softmax-topk", "", "standard normal logits", NULL},
    {"random-renorm", "core", "T=16,N=8", "k=2,order=softmax-topk-renorm", "", "standard normal logits", NULL},
    {"apart-3", "core", "T=12,N=6", "k=3", "", "decisions that no precision doubts", fill_apart},
    {"apart-3-before", "core", "T=12,N=6", "k=3,order=softmax-topk", "", "the same", fill_apart},
    {"apart-3-renorm", "core", "T=12,N=6", "k=3,order=softmax-topk-renorm", "", "the same", fill_apart},
    {"top-1-before", "core", "T=9,N=5", "k=1,order=softmax-topk", "", "Switch's own setting", fill_apart},
    {"all-chosen", "core", "T=5,N=4", "k=4", "", "K = N: the softmax of all, in the order of the logits", fill_apart},
    {"all-chosen-before", "core", "T=5,N=4", "k=4,order=softmax-topk", "", "the same by another way", fill_apart},
    {"all-chosen-renorm", "core", "T=5,N=4", "k=4,order=softmax-topk-renorm", "", "the same by a third way",
     fill_apart},
    {"one-expert", "core", "T=3,N=1", "k=1,order=softmax-topk", "exact", "N = 1: weight 1, gradient 0", NULL},
    {"one-token", "core", "T=1,N=6", "k=2", "", "a batch of one", fill_apart},
    {"no-tokens", "core", "T=0,N=4", "k=2", "", "nothing in, nothing out", NULL},
    {"steep", "core", "T=8,N=8", "k=3", "", "weights down to e^-20 and below", fill_steep},
    {"steep-renorm", "core", "T=8,N=8", "k=3,order=softmax-topk-renorm", "", "the same, renormalised", fill_steep},
    {"leader", "adversarial", "T=6,N=6", "k=2", "DoubleSoftmaxWeights,NormTopK,SwappedWeights",
     "the best leads by 4: weights near 0.99 and 0.01, which a softmax of probabilities cannot give (at most 0.731)",
     fill_leader},
    {"leader-before", "adversarial", "T=6,N=6", "k=2,order=softmax-topk",
     "DoubleSoftmaxWeights,NormTopK,SwappedWeights", "the same, softmax first", fill_leader},
    {"leader-renorm", "adversarial", "T=6,N=6", "k=2,order=softmax-topk-renorm",
     "DoubleSoftmaxWeights,NormTopK,SwappedWeights", "the same, renormalised; second CompeteSMoE code's xmoe",
     fill_leader},
    {"crowd", "adversarial", "T=8,N=8", "k=2", "NormTopK",
     "six experts close behind: renormalised weights are near 1/2, the others near 1/5; NVIDIA/Megatron-LM#955",
     fill_crowd},
    {"crowd-before", "adversarial", "T=8,N=8", "k=2,order=softmax-topk", "NormTopK", "the same, softmax first",
     fill_crowd},
    {"crowd-renorm", "adversarial", "T=8,N=8", "k=2,order=softmax-topk-renorm", "NormTopK",
     "the same, renormalised; pytorch/torchtitan#1448", fill_crowd},
    {"crowd-top-1", "adversarial", "T=8,N=8", "k=1,order=softmax-topk", "NormTopK,TopOneZeroGrad",
     "Switch's order has a gradient at K = 1; softmax after the selection has none", fill_crowd},
    {"top-1", "adversarial", "T=9,N=5", "k=1", "exact,TopOneZeroGrad",
     "softmax after the selection at K = 1: weight 1 and gradient 0, exactly; NVIDIA/Megatron-LM#894", fill_apart},
    {"equal", "adversarial", "T=6,N=4", "k=2", "ties,exact,TieOrder",
     "all logits equal: experts 0 and 1, weights 1/2; vllm-project/vllm#55514", fill_equal},
    {"equal-before", "adversarial", "T=6,N=4", "k=2,order=softmax-topk", "ties,exact,TieOrder",
     "all logits equal: experts 0 and 1, weights 1/4", fill_equal},
    {"zeros", "adversarial", "T=4,N=5", "k=2", "ties,TieOrder", "-0 equals +0: the lower index comes first",
     fill_zeros},
    {"halves", "adversarial", "T=6,N=6", "k=2", "exact",
     "two equal leaders, the rest out of sight: weights exactly 1/2, and no doubt which", fill_two_pairs},
    {"far-behind", "adversarial", "T=5,N=5", "k=3,order=softmax-topk-renorm", "NaiveSoftmax",
     "all but the best underflow: 1, 0, 0, in the order of the logits", fill_far_behind},
    {"far-apart", "adversarial", "T=5,N=6", "k=2", "NaiveSoftmax",
     "logits of 61440: a softmax that does not subtract the maximum overflows", fill_far_apart},
    {"large", "large", "T=64,N=8", "k=2", "", "the size of the layers' large cases", NULL},
    {"large-renorm", "large", "T=64,N=64", "k=8,order=softmax-topk-renorm", "", "sixty-four experts, eight a token",
     NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

const op_record op_gate[] = {
    {"gate.linear", "Linear gate", "G.1", "r = Wr x + br",
     "Shazeer et al. 2017, eq. (4) without noise (from memory, high confidence); public code of CompeteSMoE v1 (read)",
     "ref/gate.c: smoe_gate_linear, smoe_gate_linear_vjp", linear_in, linear_out, NULL, linear_cases, linear_check,
     linear_forward, linear_vjp},
    {"gate.weights", "Selection and weights", "G.2 G.3 G.4",
     "I = TopK(r); weight = softmax(r_I) | softmax(r)_I | softmax(r)_I / sum softmax(r)_I",
     "Shazeer et al. 2017, eqs. (3) and (5); Fedus et al. 2022, eqs. (1) and (2) (from memory, high confidence); "
     "public code "
     "of CompeteSMoE v1 and v2 (read and run)",
     "ref/gate.c: smoe_gate_weights, smoe_gate_weights_vjp, smoe_weights_topk_softmax, smoe_weights_softmax_topk, "
     "smoe_weights_softmax_topk_renorm",
     weights_in, weights_out, weights_param, weights_cases, weights_check, weights_forward, weights_vjp},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
