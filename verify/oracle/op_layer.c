/* Operations of chapter L: spec/03-layer.md. */
#include <stdint.h>
#include <stdlib.h>

#include "layer.h"
#include "op.h"

static const op_tensor layer_in[] = {
    {"x", "T,d", OP_INPUT, OP_DIFF, "tokens"},
    {"wr", "N,d", OP_INPUT, OP_DIFF, "the router's weights, one row an expert"},
    {"br", "N", OP_INPUT, OP_DIFF, "the router's bias"},
    {"w1", "N,h,d", OP_INPUT, OP_DIFF, "first layers of the experts"},
    {"b1", "N,h", OP_INPUT, OP_DIFF, "their biases"},
    {"w2", "N,d,h", OP_INPUT, OP_DIFF, "second layers of the experts"},
    {"b2", "N,d", OP_INPUT, OP_DIFF, "their biases"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor layer_out[] = {
    {"y", "T,d", OP_BOUNDED, OP_DIFF, "sum of the chosen experts' outputs times their weights"},
    {"index", "T,K", OP_DECISION, OP_I64,
     "the K experts of each token, largest logit first, lowest index among equals"},
    {"weight", "T,K", OP_BOUNDED, OP_DIFF, "weight of each of them, in the order of index"},
    {"margin", "T", OP_STAGE, OP_MARGIN, "K-th minus (K+1)-th largest logit, +inf if K = N"},
    {"r", "T,N", OP_STAGE, 0, "router logits, r = Wr x + br"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param layer_param[] = {
    {"k", OP_INT, "2", "experts a token"},
    {"order", OP_CHOICE, "topk-softmax|softmax-topk|softmax-topk-renorm",
     "how weights are made of logits: G.2, G.3 or G.4"},
    {"activation", OP_CHOICE, "relu|gelu", "of the experts"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *check(const op_case *c)
{
    if (op_dim(c, 'd') < 1) return "d must be at least 1: a token has no coordinates";
    if (op_dim(c, 'h') < 1) return "h must be at least 1: the experts have no hidden unit";
    if (op_dim(c, 'N') < 1) return "N must be at least 1: there is no expert";
    if (op_int(c, "k") < 1) return "k must be at least 1: a token has at least one expert";
    return op_int(c, "k") > (long)op_dim(c, 'N')
               ? "k must be at most N: a token cannot have more experts than there are"
               : NULL;
}

/* The layer of a case, with the room that its forward needs. */
typedef struct {
    smoe_layer_shape shape;
    smoe_layer_in in;
    smoe_layer_out out;
    smoe_layer_kept kept;
} layer;

static smoe_weight_order order_of(const op_case *c)
{
    if (op_is(c, "order", "topk-softmax")) return SMOE_TOPK_SOFTMAX;
    return op_is(c, "order", "softmax-topk") ? SMOE_SOFTMAX_TOPK : SMOE_SOFTMAX_TOPK_RENORM;
}

static smoe_status run(const op_case *c, layer *l)
{
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd'), h = op_dim(c, 'h'), N = op_dim(c, 'N'), K = op_dim(c, 'K');
    const size_t A = T * K;
    l->shape = (smoe_layer_shape){order_of(c), op_is(c, "activation", "relu") ? SMOE_RELU : SMOE_GELU, T, d, h, N, K};
    l->in = (smoe_layer_in){op_in(c, "x"),  op_in(c, "wr"), op_in(c, "br"), op_in(c, "w1"),
                            op_in(c, "b1"), op_in(c, "w2"), op_in(c, "b2")};
    l->out = (smoe_layer_out){op_out(c, "y"), op_out(c, "r"), op_room(A, sizeof(size_t)), op_out(c, "weight"),
                              op_out(c, "margin")};
    l->kept = (smoe_layer_kept){.offset = op_room(N + 1, sizeof(size_t)),
                                .slot = op_room(A, sizeof(size_t)),
                                .place = op_room(A, sizeof(size_t)),
                                .p = op_room(T * N, sizeof(double)),
                                .xs = op_room(A * d, sizeof(double)),
                                .o = op_room(A * d, sizeof(double)),
                                .a = op_room(A * h, sizeof(double)),
                                .u = op_room(A * h, sizeof(double))};
    const smoe_status status = smoe_layer(&l->shape, &l->in, &l->out, &l->kept);
    for (size_t a = 0; a < A; a++) op_out_i64(c, "index")[a] = (int64_t)l->out.index[a];
    return status;
}

static void layer_free(layer *l)
{
    free(l->out.index);
    free(l->kept.offset);
    free(l->kept.slot);
    free(l->kept.place);
    free(l->kept.p);
    free(l->kept.xs);
    free(l->kept.o);
    free(l->kept.a);
    free(l->kept.u);
}

static smoe_status forward(op_case *c)
{
    layer l;
    const smoe_status status = run(c, &l);
    layer_free(&l);
    return status;
}

static smoe_status vjp(op_case *c)
{
    layer l;
    smoe_status status = run(c, &l);
    const smoe_layer_grad grad = {op_grad(c, "x"),  op_grad(c, "wr"), op_grad(c, "br"), op_grad(c, "w1"),
                                  op_grad(c, "b1"), op_grad(c, "w2"), op_grad(c, "b2")};
    double *work = op_room(smoe_layer_vjp_work(&l.shape), sizeof *work);
    if (status == SMOE_OK)
        status =
            smoe_layer_vjp(&l.shape, &l.in, &l.out, &l.kept, op_cot(c, "y"), op_cot(c, "weight"), NULL, &grad, work);
    free(work);
    layer_free(&l);
    return status;
}

/* --- inputs ------------------------------------------------------------------------------------------------------- */

/* Routing by hand: the first N coordinates of token t are the wanted logits of its experts, Wr = [I 0], br = 0.
 * Needs d >= N; `level` by the place of the expert in the token's preference, which moves by 3 from token to token. */
static void route(op_case *c, op_rng *r, double (*level)(size_t rank))
{
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd'), N = op_dim(c, 'N');
    op_fill_default(c, r);
    for (size_t i = 0; i < N; i++) {
        op_in(c, "br")[i] = 0;
        for (size_t k = 0; k < d; k++) op_in(c, "wr")[i * d + k] = i == k ? 1 : 0;
    }
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) op_in(c, "x")[t * d + i] = level((i + 3 * t) % N);
}

static double steps(size_t rank) { return 1.5 - 0.5 * (double)rank; }
static double leader(size_t rank) { return rank == 0 ? 4 : 0.5 - 0.5 * (double)rank; }
static double crowd(size_t rank) { return 1 - 0.25 * (double)rank; }
static double pair(size_t rank) { return rank < 2 ? 2 : -1024; }

static void fill_apart(op_case *c, op_rng *r) { route(c, r, steps); }
static void fill_leader(op_case *c, op_rng *r) { route(c, r, leader); }
static void fill_crowd(op_case *c, op_rng *r) { route(c, r, crowd); }

/* Expert i answers 2^i, whatever the token (W2 = 0, b2 = 2^i): y is the sum of weight times 2^index, so an output that
 * is credited to another expert, or another token, cannot hide. */
static void fill_signature(op_case *c, op_rng *r)
{
    const size_t d = op_dim(c, 'd'), h = op_dim(c, 'h'), N = op_dim(c, 'N');
    route(c, r, steps);
    for (size_t k = 0; k < N * d * h; k++) op_in(c, "w2")[k] = 0;
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < d; k++) op_in(c, "b2")[i * d + k] = (double)(1u << i);
}

/* No token likes the last expert. */
static void fill_idle(op_case *c, op_rng *r)
{
    route(c, r, steps);
    for (size_t t = 0; t < op_dim(c, 'T'); t++) op_in(c, "x")[t * op_dim(c, 'd') + op_dim(c, 'N') - 1] = -8;
}

/* Every token wants experts 0 and 1: the others idle. */
static void fill_collapse(op_case *c, op_rng *r)
{
    route(c, r, steps);
    for (size_t t = 0; t < op_dim(c, 'T'); t++)
        for (size_t i = 0; i < op_dim(c, 'N'); i++) op_in(c, "x")[t * op_dim(c, 'd') + i] = steps(i);
}

static void copy_expert_0(op_case *c)
{
    static const char *const tensor[] = {"w1", "b1", "w2", "b2"};
    const size_t d = op_dim(c, 'd'), h = op_dim(c, 'h'), N = op_dim(c, 'N'), size[] = {h * d, h, d * h, d};
    for (size_t j = 0; j < 4; j++)
        for (size_t k = size[j]; k < N * size[j]; k++) op_in(c, tensor[j])[k] = op_in(c, tensor[j])[k % size[j]];
}

/* Sparse upcycling: copies of one expert and a router of zeros.  All logits are equal. */
static void fill_upcycled(op_case *c, op_rng *r)
{
    op_fill_default(c, r);
    for (size_t k = 0; k < op_dim(c, 'N') * op_dim(c, 'd'); k++) op_in(c, "wr")[k] = 0;
    for (size_t i = 0; i < op_dim(c, 'N'); i++) op_in(c, "br")[i] = 0;
    copy_expert_0(c);
}

/* Equal logits, but experts that differ: whoever breaks ties otherwise gets another y. */
static void fill_ties(op_case *c, op_rng *r)
{
    fill_upcycled(c, r);
    op_fill_normal(r, 1, op_dim(c, 'N') * op_dim(c, 'd'), op_in(c, "b2"));
}

static void integers(op_rng *r, size_t n, double *x)
{
    for (size_t k = 0; k < n; k++) x[k] = (double)op_below(r, 5) - 2;
}

static void fill_integers(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd'), N = op_dim(c, 'N');
    route(c, r, pair);
    for (size_t t = 0; t < T; t++) integers(r, d - N, op_in(c, "x") + t * d + N);
    static const char *const tensor[] = {"w1", "b1", "w2", "b2"};
    const size_t h = op_dim(c, 'h'), size[] = {h * d, h, d * h, d};
    for (size_t j = 0; j < 4; j++) integers(r, N * size[j], op_in(c, tensor[j]));
    for (size_t i = 0; i < N * h; i++)
        for (size_t k = 0; k < N; k++)
            op_in(c, "w1")[i * d + k] = 0; /* the routing coordinates do not reach the experts */
    integers(r, T * d, op_cot(c, "y"));
    integers(r, T * op_dim(c, 'K'), op_cot(c, "weight"));
}

/* Experts whose pre-activations are exactly 0 (b1 = 0 and W1 sees only coordinates that are 0). */
static void fill_kink(op_case *c, op_rng *r)
{
    fill_integers(c, r);
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd'), h = op_dim(c, 'h'), N = op_dim(c, 'N');
    for (size_t t = 0; t < T; t += 2)
        for (size_t k = N; k < d; k++) op_in(c, "x")[t * d + k] = 0;
    for (size_t k = 0; k < N * h; k++) op_in(c, "b1")[k] = 0;
}

static void fill_biased(op_case *c, op_rng *r)
{
    route(c, r, steps);
    for (size_t k = 0; k < op_dim(c, 'N') * op_dim(c, 'h'); k++)
        op_in(c, "b1")[k] = op_representable(2 + op_uniform(r));
    for (size_t k = 0; k < op_dim(c, 'N') * op_dim(c, 'd'); k++)
        op_in(c, "b2")[k] = op_representable(4 + op_uniform(r));
}

/* d = h and weights above the diagonal only. */
static void fill_triangular(op_case *c, op_rng *r)
{
    const size_t d = op_dim(c, 'd');
    route(c, r, steps);
    for (size_t i = 0; i < op_dim(c, 'N'); i++)
        for (size_t k = 0; k < d * d; k++) {
            const double on = k % d >= k / d ? 1 : 0;
            op_in(c, "w1")[i * d * d + k] = on * op_representable(1 + op_uniform(r));
            op_in(c, "w2")[i * d * d + k] = on * op_representable(1 + op_uniform(r));
        }
}

/* The gradient of the logits alone: y has cotangent 1 and the experts answer +2^i and -2^i by turns. */
static void fill_router_gradient(op_case *c, op_rng *r)
{
    fill_signature(c, r);
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd');
    for (size_t i = 1; i < op_dim(c, 'N'); i += 2)
        for (size_t k = 0; k < d; k++) op_in(c, "b2")[i * d + k] *= -1;
    for (size_t k = 0; k < T * d; k++) op_cot(c, "y")[k] = 1;
    for (size_t k = 0; k < T * op_dim(c, 'K'); k++) op_cot(c, "weight")[k] = 0;
}

static const op_spec layer_cases[] = {
    {"small", "smoke", "T=4,d=6,h=8,N=4", "k=2", "", "a first look", fill_apart},
    {"random", "core", "T=12,d=8,h=16,N=6", "k=2", "", "normal tokens, weights of variance 1/fan-in", NULL},
    {"random-before", "core", "T=12,d=8,h=16,N=6", "k=2,order=softmax-topk", "", "softmax before the selection", NULL},
    {"random-renorm", "core", "T=12,d=8,h=16,N=6", "k=2,order=softmax-topk-renorm", "", "the same, renormalised", NULL},
    {"gelu", "core", "T=12,d=8,h=16,N=6", "k=2,activation=gelu", "", "GELU experts", NULL},
    {"gelu-before", "core,adversarial", "T=10,d=8,h=12,N=5", "k=3,order=softmax-topk,activation=gelu", "",
     "GELU, softmax first", NULL},
    {"gelu-renorm", "core", "T=10,d=8,h=12,N=5", "k=3,order=softmax-topk-renorm,activation=gelu", "",
     "the layer of CompeteSMoE v2's code, with its biases", NULL},
    {"apart", "core", "T=12,d=8,h=12,N=6", "k=3", "", "decisions that no precision doubts", fill_apart},
    {"top-1", "core", "T=9,d=6,h=8,N=4", "k=1", "TopOneZeroGrad", "weight 1, so d_wr and d_br are exactly 0",
     fill_apart},
    {"top-1-before", "core", "T=9,d=6,h=8,N=4", "k=1,order=softmax-topk", "", "Switch's layer", fill_apart},
    {"all-chosen", "core", "T=5,d=6,h=8,N=4", "k=4", "", "K = N: a dense mixture", fill_apart},
    {"all-chosen-before", "core", "T=5,d=6,h=8,N=4", "k=4,order=softmax-topk", "", "the same by another way",
     fill_apart},
    {"one-expert", "core", "T=4,d=5,h=7,N=1", "k=1", "", "N = 1: the expert itself", NULL},
    {"one-token", "core", "T=1,d=6,h=8,N=5", "k=2", "ZeroTokenExpert", "three of five experts idle", fill_apart},
    {"no-tokens", "core", "T=0,d=3,h=4,N=3", "k=2", "ZeroTokenExpert", "all experts idle: gradients exactly 0", NULL},
    {"leader", "adversarial", "T=8,d=8,h=8,N=6", "k=2", "DoubleSoftmaxWeights,NormTopK,SwappedWeights",
     "the best leads by 4: weights near 0.98 and 0.02, which a softmax of probabilities cannot give", fill_leader},
    {"leader-before", "adversarial", "T=8,d=8,h=8,N=6", "k=2,order=softmax-topk",
     "DoubleSoftmaxWeights,NormTopK,SwappedWeights", "the same, softmax first", fill_leader},
    {"leader-renorm", "adversarial", "T=8,d=8,h=8,N=6", "k=2,order=softmax-topk-renorm",
     "DoubleSoftmaxWeights,NormTopK,SwappedWeights", "the same, renormalised; second CompeteSMoE code's xmoe",
     fill_leader},
    {"crowd", "adversarial", "T=8,d=8,h=8,N=8", "k=2", "NormTopK",
     "most of the probability is not selected; NVIDIA/Megatron-LM#955, pytorch/torchtitan#1448", fill_crowd},
    {"crowd-before", "adversarial", "T=8,d=8,h=8,N=8", "k=2,order=softmax-topk", "NormTopK",
     "the same, softmax first; flashinfer-ai/flashinfer#2889", fill_crowd},
    {"signature", "adversarial", "T=9,d=7,h=4,N=6", "k=2", "MisalignedExperts,SwappedWeights",
     "expert i answers 2^i: outputs credited to another expert show; InternLM/xtuner#2053", fill_signature},
    {"router-gradient", "adversarial", "T=8,d=8,h=4,N=6", "k=2", "CombineGradNone",
     "experts that disagree, cotangent on y only: the router's task gradient is large; AI-Hypercomputer/maxtext#5042",
     fill_router_gradient},
    {"router-gradient-before", "adversarial", "T=8,d=8,h=4,N=6", "k=2,order=softmax-topk", "CombineGradNone,NormTopK",
     "the same, softmax first: experts that were not chosen get a gradient too", fill_router_gradient},
    {"idle", "adversarial", "T=8,d=6,h=6,N=5", "k=2", "ZeroTokenExpert",
     "the last expert gets no token: its gradients are exactly 0; NVIDIA-NeMo/Automodel#532", fill_idle},
    {"collapse", "adversarial", "T=8,d=6,h=6,N=5", "k=2", "ZeroTokenExpert", "all tokens on experts 0 and 1",
     fill_collapse},
    {"upcycled", "adversarial", "T=6,d=6,h=8,N=4", "k=2", "ties,TieOrder",
     "copies of one expert, a router of zeros: every logit ties, y is the expert's own", fill_upcycled},
    {"ties", "adversarial", "T=6,d=6,h=8,N=4", "k=2", "ties,TieOrder",
     "every logit ties and the experts differ: 0 and 1 are chosen; vllm-project/vllm#55514", fill_ties},
    {"integers", "adversarial", "T=6,d=8,h=6,N=4", "k=2", "exact",
     "two equal leaders and integers: weights 1/2, all exact", fill_integers},
    {"integers-top-1", "adversarial", "T=6,d=8,h=6,N=4", "k=1", "exact,ties",
     "weight 1 and integers, the tie decided by index", fill_integers},
    {"kink", "adversarial", "T=6,d=8,h=6,N=4", "k=2", "exact,ReluKink",
     "pre-activations that are exactly 0: the derivative there is 0", fill_kink},
    {"biased", "adversarial", "T=8,d=6,h=6,N=4", "k=2", "MissingBias", "biases as large as what they are added to",
     fill_biased},
    {"triangular", "adversarial", "T=8,d=6,h=6,N=4", "k=2", "TransposedWeights",
     "d = h, so that a transposed matrix fits, and shows", fill_triangular},
    {"large", "large", "T=64,d=64,h=128,N=8", "k=2", "", "sums of 64 and 128 terms", NULL},
    {"large-gelu", "large", "T=64,d=64,h=128,N=8", "k=2,order=softmax-topk-renorm,activation=gelu", "",
     "the same with GELU", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

const op_record op_layer[] = {
    {"layer.smoe", "Sparse mixture-of-experts layer", "L.1 L.2 L.3 C.15",
     "y = sum_{i in I} weight_i E_i(x); r = Wr x + br; I = TopK(r); E_i(x) = W2_i phi(W1_i x + b1_i) + b2_i",
     "Shazeer et al. 2017, eq. (1) (from memory, high confidence); public code of CompeteSMoE v1 and v2 (read and run)",
     "ref/layer.c: smoe_layer, smoe_layer_vjp", layer_in, layer_out, layer_param, layer_cases, check, forward, vjp},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
