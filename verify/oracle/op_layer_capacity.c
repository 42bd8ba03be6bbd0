/* Operations of chapter L on capacity, dispatch and shared experts: spec/03-layer.md. */
#include <stdint.h>
#include <stdlib.h>

#include "layer.h"
#include "op.h"

static smoe_weight_order order_of(const op_case *c)
{
    if (op_is(c, "order", "topk-softmax")) return SMOE_TOPK_SOFTMAX;
    return op_is(c, "order", "softmax-topk") ? SMOE_SOFTMAX_TOPK : SMOE_SOFTMAX_TOPK_RENORM;
}

static smoe_priority priority_of(const op_case *c)
{
    return op_is(c, "priority", "choice") ? SMOE_BY_CHOICE : SMOE_BY_TOKEN;
}

/* n indices below `below` (or -1, if `dropped`, as SMOE_DROPPED); NULL if one is out of range. */
static size_t *indices(const int64_t *from, size_t n, size_t below, bool dropped)
{
    size_t *to = op_room(n, sizeof *to);
    for (size_t a = 0; a < n; a++) {
        to[a] = from[a] == -1 ? SMOE_DROPPED : (size_t)from[a];
        const bool fits = from[a] == -1 ? dropped : from[a] >= 0 && (uint64_t)from[a] < below;
        if (fits) continue;
        free(to);
        return NULL;
    }
    return to;
}

static double place(size_t slot) { return slot == SMOE_DROPPED ? -1 : (double)slot; }

/* --- layer.capacity ----------------------------------------------------------------------------------------------- */

static const op_tensor capacity_in[] = {
    {"r", "T,N", OP_INPUT, OP_DIFF, "router logits"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor capacity_out[] = {
    {"index", "T,K", OP_DECISION, OP_I64,
     "the K experts of each token, largest logit first, lowest index among equals"},
    {"weight", "T,K", OP_BOUNDED, OP_DIFF, "weight of each of them, 0 where the expert had no room; not renormalised"},
    {"kept", "T,K", OP_BOUNDED, 0, "1 where the expert had room, else 0"},
    {"slot", "T,K", OP_BOUNDED, 0, "place in the expert's buffer, from 0 in the order of the queue; -1 if dropped"},
    {"load", "N", OP_BOUNDED, 0, "how many each expert keeps, at most its capacity"},
    {"margin", "T", OP_STAGE, OP_MARGIN, "K-th minus (K+1)-th largest logit, +inf if K = N"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param capacity_param[] = {
    {"k", OP_INT, "2", "experts a token"},
    {"order", OP_CHOICE, "topk-softmax|softmax-topk|softmax-topk-renorm",
     "how weights are made of logits: G.2, G.3 or G.4"},
    {"factor", OP_REAL, "1.0", "capacity factor: C = max(minimum, round(factor T K / N))"},
    {"minimum", OP_INT, "0", "the least capacity"},
    {"round", OP_CHOICE, "ceil|floor", "of factor T K / N"},
    {"policy", OP_CHOICE, "position|probability", "an expert keeps the first in the queue, or the largest weights"},
    {"priority", OP_CHOICE, "choice|token", "the queue: all first choices, then all second ones; or token by token"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *capacity_check(const op_case *c)
{
    if (op_dim(c, 'N') < 1) return "N must be at least 1: there is no expert";
    if (op_int(c, "k") < 1) return "k must be at least 1: a token has at least one expert";
    if (op_int(c, "k") > (long)op_dim(c, 'N'))
        return "k must be at most N: a token cannot have more experts than there are";
    if (op_int(c, "minimum") < 0) return "minimum must be at least 0: it is a number of places";
    return op_real(c, "factor") >= 0 ? NULL : "factor must be at least 0";
}

typedef struct {
    smoe_capacity_shape shape;
    smoe_capacity_out out;
    smoe_capacity_kept kept;
} gate;

static smoe_status gate_run(const op_case *c, gate *g)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K'), A = T * K;
    g->shape = (smoe_capacity_shape){
        order_of(c), priority_of(c), op_is(c, "policy", "position") ? SMOE_KEEP_FIRST : SMOE_KEEP_LARGEST, T, N, K, 0};
    g->out = (smoe_capacity_out){op_room(A, sizeof(size_t)), op_out(c, "weight"), op_out(c, "margin"),
                                 op_room(A, sizeof(size_t)), op_room(N, sizeof(size_t))};
    g->kept =
        (smoe_capacity_kept){op_room(A, sizeof(double)), op_room(T * N, sizeof(double)), op_room(A, sizeof(size_t))};
    const smoe_status status = smoe_capacity(op_real(c, "factor"), (size_t)op_int(c, "minimum"),
                                             op_is(c, "round", "ceil") ? SMOE_CEIL : SMOE_FLOOR, T, K, N, &g->shape.C);
    return status == SMOE_OK ? smoe_capacity_gate(&g->shape, op_in(c, "r"), &g->out, &g->kept) : status;
}

static void gate_free(gate *g)
{
    free(g->out.index);
    free(g->out.slot);
    free(g->out.load);
    free(g->kept.gate);
    free(g->kept.p);
    free(g->kept.queue);
}

static smoe_status capacity_forward(op_case *c)
{
    gate g;
    const smoe_status status = gate_run(c, &g);
    for (size_t a = 0; a < g.shape.T * g.shape.K; a++) {
        op_out_i64(c, "index")[a] = (int64_t)g.out.index[a];
        op_out(c, "kept")[a] = g.out.slot[a] == SMOE_DROPPED ? 0 : 1;
        op_out(c, "slot")[a] = place(g.out.slot[a]);
    }
    for (size_t i = 0; i < g.shape.N; i++) op_out(c, "load")[i] = (double)g.out.load[i];
    gate_free(&g);
    return status;
}

static smoe_status capacity_vjp(op_case *c)
{
    gate g;
    smoe_status status = gate_run(c, &g);
    double *work = op_room(g.shape.T * g.shape.K + g.shape.N, sizeof *work);
    if (status == SMOE_OK)
        status = smoe_capacity_gate_vjp(&g.shape, &g.out, &g.kept, op_cot(c, "weight"), op_grad(c, "r"), work);
    free(work);
    gate_free(&g);
    return status;
}

static void fill_apart(op_case *c, op_rng *r) { op_fill_apart(r, 0.5, op_dim(c, 'T'), op_dim(c, 'N'), op_in(c, "r")); }

/* Even tokens want experts 0, 1, 2, ..., odd ones 1, 0, 2, ...: who is dropped depends on the order of the queue, and
 * the experts after the K-th get nobody. */
static void fill_contested(op_case *c, op_rng *r)
{
    (void)r;
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++)
            op_in(c, "r")[t * N + (i < 2 && N > 1 && t % 2 ? 1 - i : i)] = 2 - 1.5 * (double)i;
}

/* The same, each token with a lead of its own: weights far apart, and largest not where the queue begins. */
static void fill_leads(op_case *c, op_rng *r)
{
    static const double lead[] = {1, 3.5, 0.5, 2, 1.5, 2.5};
    (void)r;
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++)
            op_in(c, "r")[t * N + (i < 2 && t % 2 ? 1 - i : i)] = i == 0 ? lead[t % 6] : i == 1 ? 0 : -8;
}

static void fill_zero(op_case *c, op_rng *r)
{
    (void)r;
    for (size_t k = 0; k < op_dim(c, 'T') * op_dim(c, 'N'); k++) op_in(c, "r")[k] = 0;
}

/* Every token prefers expert 0 and then 1, with the same logits. */
static void fill_collapse(op_case *c, op_rng *r)
{
    (void)r;
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) op_in(c, "r")[t * N + i] = 1 - (double)i;
}

/* Two equal leaders, everybody else impossible: weights 1/2 and 0, all exact. */
static void fill_halves(op_case *c, op_rng *r)
{
    (void)r;
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++)
            op_in(c, "r")[t * N + i] = i == t % N || i == (t + 1 + t / 2 % (N - 1)) % N ? 2 : -1024;
    for (size_t a = 0; a < T * op_dim(c, 'K'); a++) op_cot(c, "weight")[a] = (double)(a % 5) - 2;
}

static const op_spec capacity_cases[] = {
    {"small", "smoke", "T=6,N=4", "k=2", "", "a first look", fill_apart},
    {"random", "core", "T=16,N=6", "k=2", "", "normal logits: some experts overflow", NULL},
    {"random-before", "core", "T=16,N=6", "k=2,order=softmax-topk", "", "softmax before the selection", NULL},
    {"random-renorm", "core", "T=16,N=6", "k=2,order=softmax-topk-renorm,factor=0.75", "", "the same, renormalised",
     NULL},
    {"top-1", "core", "T=12,N=4", "k=1,order=softmax-topk,factor=1.25", "", "Switch's layer at its factor 1.25", NULL},
    {"contested", "core", "T=7,N=4", "k=2", "CapacityDrop",
     "first choices alternate between two experts: all first choices go before any second; deepspeedai/DeepSpeed#1658",
     fill_contested},
    {"contested-token", "core,adversarial", "T=7,N=4", "k=2,priority=token", "CapacityDrop",
     "the same, token by token: others are dropped; huggingface/transformers#48421", fill_contested},
    {"probability", "core", "T=6,N=3", "k=2,policy=probability,factor=0.5", "CapacityDrop",
     "the largest weights stay, not the first comers; deepspeedai/DeepSpeed#5353", fill_leads},
    {"probability-before", "core,adversarial", "T=6,N=3",
     "k=2,policy=probability,order=softmax-topk,priority=token,factor=0.5", "CapacityDrop",
     "the same on probabilities, places token by token", fill_leads},
    {"ceil", "core", "T=7,N=4", "k=2,factor=0.75", "CapacityRound", "2.625 places become 3", fill_contested},
    {"floor", "core,adversarial", "T=7,N=4", "k=2,factor=0.75,round=floor", "CapacityRound", "2.625 places become 2",
     fill_contested},
    {"minimum", "core,adversarial", "T=7,N=4", "k=2,factor=0.25,minimum=4", "CapacityRound",
     "0.875 places, but at least 4", fill_contested},
    {"beyond", "core", "T=5,N=4", "k=2,factor=8", "CapacityDrop",
     "20 places for 5 tokens: nobody is dropped; deepspeedai/DeepSpeed#5353", fill_contested},
    {"all-dropped", "core", "T=5,N=4", "k=2,factor=0", "CapacityDrop",
     "no place at all: weights and gradient exactly 0", fill_contested},
    {"no-tokens", "core", "T=0,N=4", "k=2", "ZeroTokenExpert", "0 places for 0 tokens", NULL},
    {"one-expert", "core", "T=5,N=1", "k=1,factor=0.5", "", "N = 1: the first three of five stay", NULL},
    {"all-chosen", "core", "T=5,N=3", "k=3,factor=0.5", "", "K = N: every expert drops the same tokens", fill_apart},
    {"collapse", "adversarial", "T=8,N=4", "k=2", "CapacityDrop,ZeroTokenExpert,DoubleSoftmaxWeights",
     "everybody wants 0 and 1: half are dropped, 2 and 3 are idle; NVIDIA-NeMo/Automodel#532", fill_collapse},
    {"collapse-renorm", "adversarial", "T=8,N=4", "k=2,order=softmax-topk,factor=0.5",
     "CapacityDrop,CapacityRenorm,NormTopK", "what is kept is not renormalised", fill_collapse},
    {"ties", "adversarial", "T=6,N=4", "k=2", "ties,TieOrder,CapacityNoK,SwappedWeights",
     "all logits equal: 0 and 1 are chosen, the first three tokens stay; vllm-project/vllm#55514", fill_zero},
    {"ties-probability", "adversarial", "T=6,N=4", "k=1,policy=probability,factor=2",
     "ties,TieOrder,CapacityDrop,NormTopK", "all weights are 1: among equals the earlier stays", fill_zero},
    {"exact", "adversarial", "T=9,N=5", "k=2,factor=0.5", "exact,ties", "weights 1/2: all exact", fill_halves},
    {"exact-token", "adversarial", "T=9,N=5", "k=2,factor=0.5,priority=token", "exact,ties,CapacityDrop",
     "the same, token by token", fill_halves},
    {"large", "large", "T=256,N=8", "k=2,factor=1.25", "", "a batch of real size", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- layer.dispatch ----------------------------------------------------------------------------------------------- */

static const op_tensor dispatch_in[] = {
    {"x", "T,d", OP_INPUT, OP_DIFF, "tokens"},
    {"index", "T,K", OP_INPUT, OP_I64, "the K experts of each token, each below experts"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor dispatch_out[] = {
    {"xe", "N,C,d", OP_BOUNDED, OP_DIFF, "the experts' buffers: the tokens at their places, 0 elsewhere"},
    {"slot", "T,K", OP_EXACT, OP_I64, "place in the expert's buffer, from 0 in the order of the queue; -1 if dropped"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param dispatch_param[] = {
    {"experts", OP_INT, "2", "N, the number of experts"},
    {"capacity", OP_INT, "4", "C, the places of each expert's buffer"},
    {"priority", OP_CHOICE, "choice|token", "the queue: all first choices, then all second ones; or token by token"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *dispatch_check(const op_case *c)
{
    if (op_dim(c, 'd') < 1) return "d must be at least 1: a token has no coordinates";
    if (op_dim(c, 'K') < 1) return "K must be at least 1: a token has at least one expert";
    return op_dim(c, 'N') < 1 ? "experts must be at least 1: there is no expert" : NULL;
}

/* index and slot of a case, SMOE_EDOM if an index is out of range; both are to be freed. */
static smoe_status places(const op_case *c, size_t **index, size_t **slot)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K'), A = T * K;
    *slot = NULL;
    *index = indices(op_in_i64(c, "index"), A, N, false);
    if (!*index) return SMOE_EDOM;
    size_t *queue = op_room(A, sizeof *queue), *load = op_room(N, sizeof *load);
    *slot = op_room(A, sizeof **slot);
    smoe_status status = smoe_queue(priority_of(c), T, K, queue);
    if (status == SMOE_OK) status = smoe_slots_first(A, N, op_dim(c, 'C'), *index, queue, load, *slot);
    free(queue);
    free(load);
    return status;
}

static smoe_status dispatch_forward(op_case *c)
{
    const size_t T = op_dim(c, 'T'), K = op_dim(c, 'K');
    size_t *index, *slot;
    smoe_status status = places(c, &index, &slot);
    if (status == SMOE_OK)
        status = smoe_buffer_dispatch(T, op_dim(c, 'd'), op_dim(c, 'N'), K, op_dim(c, 'C'), op_in(c, "x"), index, slot,
                                      op_out(c, "xe"));
    for (size_t a = 0; status == SMOE_OK && a < T * K; a++) op_out_i64(c, "slot")[a] = (int64_t)place(slot[a]);
    free(index);
    free(slot);
    return status;
}

static smoe_status dispatch_vjp(op_case *c)
{
    size_t *index, *slot;
    smoe_status status = places(c, &index, &slot);
    if (status == SMOE_OK)
        status = smoe_buffer_dispatch_vjp(op_dim(c, 'T'), op_dim(c, 'd'), op_dim(c, 'N'), op_dim(c, 'K'),
                                          op_dim(c, 'C'), index, slot, op_cot(c, "xe"), op_grad(c, "x"));
    free(index);
    free(slot);
    return status;
}

/* K distinct experts a token. */
static void draw_index(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K');
    int64_t *index = op_in_i64(c, "index");
    size_t *deck = op_room(N, sizeof *deck);
    for (size_t i = 0; i < N; i++) deck[i] = i;
    for (size_t t = 0; t < T; t++)
        for (size_t j = 0; j < K && j < N; j++) {
            const size_t other = j + (size_t)op_below(r, N - j), taken = deck[other];
            deck[other] = deck[j];
            deck[j] = taken;
            index[t * K + j] = (int64_t)taken;
        }
    free(deck);
}

static void fill_dispatch(op_case *c, op_rng *r)
{
    op_fill_default(c, r);
    draw_index(c, r);
}

/* Token t is 2^t in every coordinate, its choices 0, 1, ... or 1, 0, ... by turns. */
static void fill_signature(op_case *c, op_rng *r)
{
    (void)r;
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd'), K = op_dim(c, 'K');
    for (size_t k = 0; k < T * d; k++) op_in(c, "x")[k] = (double)(1u << k / d);
    for (size_t t = 0; t < T; t++)
        for (size_t j = 0; j < K; j++)
            op_in_i64(c, "index")[t * K + j] = (int64_t)(j < 2 && K > 1 && t % 2 ? 1 - j : j);
    for (size_t k = 0; k < op_dim(c, 'N') * op_dim(c, 'C') * d; k++) op_cot(c, "xe")[k] = (double)(k % 7) - 3;
}

static const op_spec dispatch_cases[] = {
    {"small", "smoke", "T=5,d=3,K=2", "experts=3,capacity=3", "", "a first look", fill_dispatch},
    {"random", "core", "T=12,d=6,K=2", "experts=4,capacity=6", "", "normal tokens, random choices", fill_dispatch},
    {"random-token", "core", "T=12,d=6,K=2", "experts=4,capacity=5,priority=token", "", "served token by token",
     fill_dispatch},
    {"top-1", "core", "T=9,d=5,K=1", "experts=3,capacity=3", "", "one choice: the queue is the tokens", fill_dispatch},
    {"contested", "core", "T=7,d=2,K=2", "experts=3,capacity=4", "CapacityDrop,exact",
     "all first choices go before any second; token t is 2^t; deepspeedai/DeepSpeed#1658", fill_signature},
    {"contested-token", "core,adversarial", "T=7,d=2,K=2", "experts=3,capacity=4,priority=token", "CapacityDrop,exact",
     "the same, token by token: others are dropped; huggingface/transformers#48421", fill_signature},
    {"beyond", "core", "T=4,d=3,K=2", "experts=3,capacity=16", "CapacityDrop,ZeroTokenExpert",
     "more places than tokens: the rest is 0; deepspeedai/DeepSpeed#5353", fill_dispatch},
    {"no-room", "core", "T=4,d=3,K=2", "experts=3,capacity=0", "CapacityDrop",
     "no place: everybody is dropped, d_x is 0", fill_dispatch},
    {"no-tokens", "core", "T=0,d=3,K=2", "experts=3,capacity=2", "ZeroTokenExpert", "empty buffers are 0",
     fill_dispatch},
    {"idle", "adversarial", "T=8,d=4,K=2", "experts=6,capacity=8", "ZeroTokenExpert,MisalignedExperts,exact",
     "everybody wants 0 and 1: four experts are idle; NVIDIA-NeMo/Automodel#532", fill_signature},
    {"misaligned", "adversarial", "T=10,d=3,K=3", "experts=5,capacity=6", "MisalignedExperts,exact,EmptySlotFilled",
     "a token in another expert's buffer, or at another place, shows; InternLM/xtuner#2053", fill_signature},
    {"one-place", "adversarial", "T=6,d=3,K=2", "experts=4,capacity=1", "CapacityDrop,DispatchGradNone",
     "one place an expert", fill_dispatch},
    {"large", "large", "T=128,d=64,K=2", "experts=8,capacity=40", "", "a batch of real size", fill_dispatch},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- layer.combine ------------------------------------------------------------------------------------------------ */

static const op_tensor combine_in[] = {
    {"o", "N,C,d", OP_INPUT, OP_DIFF, "outputs of the experts, by place"},
    {"weight", "T,K", OP_INPUT, OP_DIFF, "weight of each choice"},
    {"index", "T,K", OP_INPUT, OP_I64, "the expert of each choice"},
    {"slot", "T,K", OP_INPUT, OP_I64, "its place in the expert's buffer, -1 if it was dropped"},
    {"x", "T,d", OP_INPUT, OP_DIFF, "tokens, what passes if nothing of a token was kept"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor combine_out[] = {
    {"y", "T,d", OP_BOUNDED, OP_DIFF, "sum of the kept choices' outputs times their weights"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param combine_param[] = {
    {"overflow", OP_CHOICE, "zero|pass", "y of a token of which nothing was kept: 0, or the token itself"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *combine_check(const op_case *c)
{
    if (op_dim(c, 'd') < 1) return "d must be at least 1: a token has no coordinates";
    return op_dim(c, 'K') < 1 ? "K must be at least 1: a token has at least one expert" : NULL;
}

static smoe_overflow overflow_of(const op_case *c)
{
    return op_is(c, "overflow", "zero") ? SMOE_OVERFLOW_ZERO : SMOE_OVERFLOW_PASS;
}

static smoe_status combine_run(op_case *c, bool gradient)
{
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd'), N = op_dim(c, 'N'), K = op_dim(c, 'K'), C = op_dim(c, 'C');
    size_t *index = indices(op_in_i64(c, "index"), T * K, N, false);
    size_t *slot = indices(op_in_i64(c, "slot"), T * K, C, true);
    smoe_status status = SMOE_EDOM;
    if (index && slot && gradient)
        status = smoe_buffer_combine_vjp(overflow_of(c), T, d, N, K, C, op_in(c, "o"), op_in(c, "weight"), index, slot,
                                         op_cot(c, "y"), op_grad(c, "o"), op_grad(c, "weight"), op_grad(c, "x"));
    else if (index && slot)
        status = smoe_buffer_combine(overflow_of(c), T, d, N, K, C, op_in(c, "o"), op_in(c, "weight"), index, slot,
                                     op_in(c, "x"), op_out(c, "y"));
    free(index);
    free(slot);
    return status;
}

static smoe_status combine_forward(op_case *c) { return combine_run(c, false); }
static smoe_status combine_vjp(op_case *c) { return combine_run(c, true); }

/* slot as layer.dispatch gives it for the case's index, served token by token. */
static void place_tokens(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K'), C = op_dim(c, 'C');
    size_t *load = op_room(N, sizeof *load);
    for (size_t a = 0; a < T * K; a++) {
        const size_t i = (size_t)op_in_i64(c, "index")[a];
        op_in_i64(c, "slot")[a] = load[i] < C ? (int64_t)load[i]++ : -1;
    }
    free(load);
}

static void fill_combine(op_case *c, op_rng *r)
{
    op_fill_default(c, r);
    for (size_t a = 0; a < op_dim(c, 'T') * op_dim(c, 'K'); a++)
        op_in(c, "weight")[a] = op_representable(op_uniform(r));
    draw_index(c, r);
    place_tokens(c);
}

/* Expert i answers 2^i at even places and 2^i + 1/2 at odd ones, weights are 1, 2, ...: everything is exact, and what
 * is credited to another choice, expert or place shows.  Every token wants experts 0, 1, ...: late tokens lose all. */
static void fill_places(op_case *c, op_rng *r)
{
    (void)r;
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd'), N = op_dim(c, 'N'), K = op_dim(c, 'K'), C = op_dim(c, 'C');
    for (size_t row = 0; row < N * C; row++)
        for (size_t k = 0; k < d; k++) op_in(c, "o")[row * d + k] = (double)(1u << row / C) + (row % C % 2 ? 0.5 : 0);
    for (size_t a = 0; a < T * K; a++) {
        op_in(c, "weight")[a] = (double)(1 + a % K);
        op_in_i64(c, "index")[a] = (int64_t)(a % K);
    }
    for (size_t k = 0; k < T * d; k++) {
        op_in(c, "x")[k] = -(double)(1 + k % 5);
        op_cot(c, "y")[k] = (double)(k % 3) - 1;
    }
    place_tokens(c);
}

/* Every token wants expert 0 first, which has too few places, and another one that has enough. */
static void fill_partly(op_case *c, op_rng *r)
{
    fill_places(c, r);
    for (size_t t = 0; t < op_dim(c, 'T'); t++)
        op_in_i64(c, "index")[t * op_dim(c, 'K') + 1] = (int64_t)(1 + t % (op_dim(c, 'N') - 1));
    place_tokens(c);
}

static const op_spec combine_cases[] = {
    {"small", "smoke", "T=5,d=3,N=3,C=3,K=2", "", "", "a first look", fill_combine},
    {"random", "core", "T=12,d=6,N=4,C=5,K=2", "", "CombineGradNone", "normal outputs, random choices, some dropped",
     fill_combine},
    {"random-pass", "core", "T=12,d=6,N=4,C=2,K=2", "overflow=pass", "", "tokens without a place pass", fill_combine},
    {"top-1-pass", "core", "T=9,d=4,N=3,C=2,K=1", "overflow=pass", "", "one choice: kept or passed", fill_combine},
    {"places", "core,adversarial", "T=5,d=2,N=3,C=3,K=2", "", "CapacityDrop,MisalignedExperts,exact,OverflowPass",
     "late tokens lose everything: y is 0; another expert's output shows; InternLM/xtuner#2053", fill_places},
    {"places-pass", "core", "T=5,d=2,N=3,C=3,K=2", "overflow=pass", "CapacityDrop,OverflowZero,exact",
     "the same, but y is the token; huggingface/transformers#48421", fill_places},
    {"no-room", "core", "T=4,d=3,N=3,C=0,K=2", "overflow=pass", "CapacityDrop", "no place at all: y = x", fill_combine},
    {"beyond", "core", "T=4,d=3,N=3,C=12,K=2", "", "CapacityDrop,ZeroTokenExpert",
     "more places than tokens: d_o of the empty ones is 0; deepspeedai/DeepSpeed#5353", fill_combine},
    {"no-tokens", "core", "T=0,d=3,N=3,C=2,K=2", "", "ZeroTokenExpert", "d_o is 0", fill_combine},
    {"swapped", "adversarial", "T=6,d=3,N=4,C=6,K=3", "", "SwappedWeights,MisalignedExperts,exact",
     "weights 1, 2, 3 and outputs 1, 2, 4: another pairing shows", fill_places},
    {"one-place", "adversarial", "T=8,d=4,N=4,C=1,K=2", "overflow=pass",
     "CapacityDrop,OverflowZero,CapacityRenorm,NegativeSlot,OverflowPartly,OverflowResidual",
     "one place an expert: most tokens pass, some lose one of their two experts", fill_combine},
    {"partly", "adversarial", "T=6,d=2,N=4,C=3,K=2", "overflow=pass",
     "CapacityDrop,OverflowPartly,OverflowResidual,exact",
     "half of the tokens lose one of their two experts: they do not pass", fill_partly},
    {"large", "large", "T=128,d=64,N=8,C=40,K=2", "", "", "a batch of real size", fill_combine},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- layer.shared ------------------------------------------------------------------------------------------------- */

static const op_tensor shared_in[] = {
    {"x", "T,d", OP_INPUT, OP_DIFF, "tokens"},
    {"wr", "N,d", OP_INPUT, OP_DIFF, "the router's weights, one row an expert"},
    {"br", "N", OP_INPUT, OP_DIFF, "the router's bias"},
    {"w1", "N,h,d", OP_INPUT, OP_DIFF, "first layers of the routed experts"},
    {"b1", "N,h", OP_INPUT, OP_DIFF, "their biases"},
    {"w2", "N,d,h", OP_INPUT, OP_DIFF, "second layers of the routed experts"},
    {"b2", "N,d", OP_INPUT, OP_DIFF, "their biases"},
    {"ws1", "M,h,d", OP_INPUT, OP_DIFF, "first layers of the shared experts"},
    {"bs1", "M,h", OP_INPUT, OP_DIFF, "their biases"},
    {"ws2", "M,d,h", OP_INPUT, OP_DIFF, "second layers of the shared experts"},
    {"bs2", "M,d", OP_INPUT, OP_DIFF, "their biases"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor shared_out[] = {
    {"y", "T,d", OP_BOUNDED, OP_DIFF, "the shared experts' outputs and the routed part, put together as form says"},
    {"index", "T,K", OP_DECISION, OP_I64,
     "the K routed experts of each token, largest logit first, lowest index among equals"},
    {"weight", "T,K", OP_BOUNDED, OP_DIFF, "weight of each of them, in the order of index"},
    {"margin", "T", OP_STAGE, OP_MARGIN, "K-th minus (K+1)-th largest logit, +inf if K = N"},
    {"r", "T,N", OP_STAGE, 0, "router logits, r = Wr x + br"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param shared_param[] = {
    {"k", OP_INT, "2", "routed experts a token"},
    {"order", OP_CHOICE, "topk-softmax|softmax-topk|softmax-topk-renorm",
     "how weights are made of logits: G.2, G.3 or G.4"},
    {"activation", OP_CHOICE, "relu|gelu", "of all experts"},
    {"form", OP_CHOICE, "sum|half|residual", "shared + routed; the mean of the two (M = 1); x + shared + routed"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *shared_check(const op_case *c)
{
    if (op_dim(c, 'd') < 1) return "d must be at least 1: a token has no coordinates";
    if (op_dim(c, 'h') < 1) return "h must be at least 1: the experts have no hidden unit";
    if (op_dim(c, 'N') < 1) return "N must be at least 1: there is no routed expert";
    if (op_int(c, "k") < 1) return "k must be at least 1: a token has at least one expert";
    if (op_int(c, "k") > (long)op_dim(c, 'N'))
        return "k must be at most N: a token cannot have more experts than there are";
    return op_is(c, "form", "half") && op_dim(c, 'M') != 1 ? "form=half needs M = 1: one shared expert" : NULL;
}

typedef struct {
    smoe_layer_shape shape;
    smoe_layer_in in;
    smoe_layer_out out;
    smoe_layer_kept kept;
    smoe_shared_in shared;
    smoe_shared_kept shared_kept;
} shared_layer;

static smoe_shared_form form_of(const op_case *c)
{
    if (op_is(c, "form", "sum")) return SMOE_SHARED_SUM;
    return op_is(c, "form", "half") ? SMOE_SHARED_HALF : SMOE_SHARED_RESIDUAL;
}

static smoe_status shared_run(const op_case *c, shared_layer *l)
{
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd'), h = op_dim(c, 'h'), N = op_dim(c, 'N'), K = op_dim(c, 'K');
    const size_t A = T * K, M = op_dim(c, 'M'), D = sizeof(double), Z = sizeof(size_t);
    l->shape = (smoe_layer_shape){order_of(c), op_is(c, "activation", "relu") ? SMOE_RELU : SMOE_GELU, T, d, h, N, K};
    l->in = (smoe_layer_in){op_in(c, "x"),  op_in(c, "wr"), op_in(c, "br"), op_in(c, "w1"),
                            op_in(c, "b1"), op_in(c, "w2"), op_in(c, "b2")};
    l->out = (smoe_layer_out){op_out(c, "y"), op_out(c, "r"), op_room(A, Z), op_out(c, "weight"), op_out(c, "margin")};
    l->kept = (smoe_layer_kept){op_room(N + 1, Z), op_room(A, Z),     op_room(A, Z),     op_room(T * N, D),
                                op_room(A * d, D), op_room(A * d, D), op_room(A * h, D), op_room(A * h, D)};
    l->shared = (smoe_shared_in){op_in(c, "ws1"), op_in(c, "bs1"), op_in(c, "ws2"), op_in(c, "bs2")};
    l->shared_kept =
        (smoe_shared_kept){op_room(M * T * h, D), op_room(M * T * h, D), op_room(T * d, D), op_room(T * d, D)};
    return smoe_shared_layer(form_of(c), M, &l->shape, &l->in, &l->shared, &l->out, &l->kept, &l->shared_kept);
}

static void shared_free(shared_layer *l)
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
    free(l->shared_kept.a);
    free(l->shared_kept.u);
    free(l->shared_kept.e);
    free(l->shared_kept.z);
}

static smoe_status shared_forward(op_case *c)
{
    shared_layer l;
    const smoe_status status = shared_run(c, &l);
    for (size_t a = 0; a < l.shape.T * l.shape.K; a++) op_out_i64(c, "index")[a] = (int64_t)l.out.index[a];
    shared_free(&l);
    return status;
}

static smoe_status shared_vjp(op_case *c)
{
    shared_layer l;
    smoe_status status = shared_run(c, &l);
    const smoe_layer_grad grad = {op_grad(c, "x"),  op_grad(c, "wr"), op_grad(c, "br"), op_grad(c, "w1"),
                                  op_grad(c, "b1"), op_grad(c, "w2"), op_grad(c, "b2")};
    const smoe_shared_grad shared = {op_grad(c, "ws1"), op_grad(c, "bs1"), op_grad(c, "ws2"), op_grad(c, "bs2")};
    double *work = op_room(smoe_shared_layer_vjp_work(&l.shape), sizeof *work);
    if (status == SMOE_OK)
        status = smoe_shared_layer_vjp(form_of(c), op_dim(c, 'M'), &l.shape, &l.in, &l.shared, &l.out, &l.kept,
                                       &l.shared_kept, op_cot(c, "y"), op_cot(c, "weight"), &grad, &shared, work);
    free(work);
    shared_free(&l);
    return status;
}

/* Routing by hand: the first N coordinates of a token are its logits, Wr = [I 0], br = 0.  Needs d >= N.  Token t likes
 * expert -3t mod N best, and each one of the next by 1/2 less. */
static void fill_routed(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd'), N = op_dim(c, 'N');
    op_fill_default(c, r);
    for (size_t i = 0; i < N; i++) {
        op_in(c, "br")[i] = 0;
        for (size_t k = 0; k < d; k++) op_in(c, "wr")[i * d + k] = i == k ? 1 : 0;
    }
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) op_in(c, "x")[t * d + i] = 1.5 - 0.5 * (double)((i + 3 * t) % N);
}

/* Routed expert i answers 2^i and shared expert m answers 2^(N+m), whatever the token. */
static void fill_answers(op_case *c, op_rng *r)
{
    const size_t d = op_dim(c, 'd'), h = op_dim(c, 'h'), N = op_dim(c, 'N'), M = op_dim(c, 'M');
    fill_routed(c, r);
    for (size_t k = 0; k < N * d * h; k++) op_in(c, "w2")[k] = 0;
    for (size_t k = 0; k < M * d * h; k++) op_in(c, "ws2")[k] = 0;
    for (size_t k = 0; k < N * d; k++) op_in(c, "b2")[k] = (double)(1u << k / d);
    for (size_t k = 0; k < M * d; k++) op_in(c, "bs2")[k] = (double)(1u << (N + k / d));
}

/* No token likes the last expert. */
static void fill_idle(op_case *c, op_rng *r)
{
    fill_routed(c, r);
    for (size_t t = 0; t < op_dim(c, 'T'); t++) op_in(c, "x")[t * op_dim(c, 'd') + op_dim(c, 'N') - 1] = -8;
}

/* A router of zeros: every logit ties, the experts differ. */
static void fill_shared_ties(op_case *c, op_rng *r)
{
    op_fill_default(c, r);
    for (size_t k = 0; k < op_dim(c, 'N') * op_dim(c, 'd'); k++) op_in(c, "wr")[k] = 0;
    for (size_t i = 0; i < op_dim(c, 'N'); i++) op_in(c, "br")[i] = 0;
}

/* Biases as large as what they are added to, of the shared experts too. */
static void fill_biased(op_case *c, op_rng *r)
{
    static const char *const name[] = {"b1", "b2", "bs1", "bs2"};
    fill_routed(c, r);
    for (size_t b = 0; b < 4; b++) {
        const bool shared = b >= 2;
        const size_t n = (shared ? op_dim(c, 'M') : op_dim(c, 'N')) * (b % 2 ? op_dim(c, 'd') : op_dim(c, 'h'));
        for (size_t k = 0; k < n; k++) op_in(c, name[b])[k] = op_representable((b % 2 ? 4 : 2) + op_uniform(r));
    }
}

/* All experts are GELU itself (W1 = W2 = I, no biases) on coordinates from -4 1/2 to -3 1/2, which are the logits too. */
static void fill_left_tail(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd'), N = op_dim(c, 'N'), M = op_dim(c, 'M');
    fill_routed(c, r);
    for (size_t i = 4; c->op->in[i].name; i++)
        for (size_t k = 0; k < c->in[i].count; k++) c->in[i].f64[k] = 0;
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < d * d; k++)
            op_in(c, "w1")[i * d * d + k] = op_in(c, "w2")[i * d * d + k] = k % (d + 1) == 0;
    for (size_t m = 0; m < M; m++)
        for (size_t k = 0; k < d * d; k++)
            op_in(c, "ws1")[m * d * d + k] = op_in(c, "ws2")[m * d * d + k] = k % (d + 1) == 0;
    for (size_t t = 0; t < T; t++)
        for (size_t k = 0; k < d; k++) op_in(c, "x")[t * d + k] = -4.5 + 0.25 * (double)((k + t) % d % 5);
}

static const op_spec shared_cases[] = {
    {"small", "smoke", "T=4,d=6,h=5,N=4,M=1", "k=2", "", "a first look", fill_routed},
    {"random", "core", "T=10,d=8,h=8,N=5,M=2", "k=2", "", "normal tokens, two shared experts", NULL},
    {"random-residual", "core", "T=10,d=8,h=8,N=5,M=2", "k=2,form=residual", "", "DeepSeekMoE's form", NULL},
    {"random-half", "core", "T=10,d=8,h=8,N=5,M=1", "k=2,form=half,order=softmax-topk-renorm,activation=gelu", "",
     "the form of CompeteSMoE v2's code", NULL},
    {"gelu-before", "core,adversarial", "T=8,d=6,h=8,N=4,M=1", "k=2,order=softmax-topk,activation=gelu", "NormTopK",
     "Switch's weights and GELU", fill_routed},
    {"none-shared", "core", "T=6,d=6,h=6,N=4,M=0", "k=2", "", "M = 0: the layer without shared experts", fill_routed},
    {"three-shared", "core", "T=6,d=6,h=6,N=4,M=3", "k=1,form=residual", "", "more shared experts than chosen ones",
     fill_routed},
    {"no-tokens", "core", "T=0,d=3,h=4,N=3,M=1", "k=2", "ZeroTokenExpert", "all gradients exactly 0", NULL},
    {"answers", "adversarial", "T=8,d=6,h=4,N=4,M=2", "k=2", "MisalignedExperts,SwappedWeights,SharedMean",
     "routed experts answer 1, 2, 4, 8, shared ones 16 and 32: any mix-up shows; InternLM/xtuner#2053", fill_answers},
    {"answers-half", "adversarial", "T=8,d=6,h=4,N=4,M=1", "k=2,form=half",
     "MisalignedExperts,SharedHalf,SharedInWeights", "the same; without the two halves y doubles", fill_answers},
    {"answers-residual", "adversarial", "T=8,d=6,h=4,N=4,M=2", "k=2,form=residual",
     "MisalignedExperts,SharedResidual,SharedSum", "the same with the token itself", fill_answers},
    {"idle", "adversarial", "T=8,d=6,h=6,N=5,M=1", "k=2", "ZeroTokenExpert,CombineGradNone",
     "the last expert gets no token: its gradients are exactly 0; NVIDIA-NeMo/Automodel#532", fill_idle},
    {"ties", "adversarial", "T=6,d=6,h=6,N=4,M=1", "k=2", "ties,TieOrder,SharedDetached",
     "every logit ties and the experts differ: 0 and 1 are chosen; vllm-project/vllm#55514", fill_shared_ties},
    {"left-tail", "adversarial", "T=6,d=5,h=5,N=4,M=1", "k=2,activation=gelu", "GeluTanh,DoubleSoftmaxWeights",
     "GELU near -4, where the tanh form is about half as large", fill_left_tail},
    {"biased", "adversarial", "T=6,d=6,h=6,N=4,M=2", "k=2", "MissingBias,NormTopK",
     "biases as large as what they are added to", fill_biased},
    {"large", "large", "T=48,d=64,h=96,N=8,M=2", "k=2,form=residual", "", "sums of 64 and 96 terms", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

const op_record op_layer_capacity[] = {
    {"layer.capacity", "Gate with a capacity", "L.4",
     "C = max(minimum, round(factor T K / N)); an expert keeps C of its assignments; the weights of the others are 0",
     "Fedus et al. 2022, section 2.2; Lepikhin et al. 2020, algorithm 1 (from memory, high confidence)",
     "ref/layer.c: smoe_capacity, smoe_queue, smoe_slots_first, smoe_slots_largest, smoe_capacity_gate, "
     "smoe_capacity_gate_vjp",
     capacity_in, capacity_out, capacity_param, capacity_cases, capacity_check, capacity_forward, capacity_vjp},
    {"layer.dispatch", "Dispatch to buffers", "L.5",
     "xe_{i,c} = x_t where a choice of token t has index i and place c, else 0",
     "Lepikhin et al. 2020, algorithm 1 and its einsum (from memory, high confidence)",
     "ref/layer.c: smoe_slots_first, smoe_buffer_dispatch, smoe_buffer_dispatch_vjp", dispatch_in, dispatch_out,
     dispatch_param, dispatch_cases, dispatch_check, dispatch_forward, dispatch_vjp},
    {"layer.combine", "Combination of buffers", "L.6",
     "y_t = sum_j weight_tj o_{index_tj, slot_tj} over the kept; x_t if none is (overflow=pass)",
     "Lepikhin et al. 2020 (from memory, high confidence); the official code of StableMoE for overflow=pass (read)",
     "ref/layer.c: smoe_buffer_combine, smoe_buffer_combine_vjp", combine_in, combine_out, combine_param, combine_cases,
     combine_check, combine_forward, combine_vjp},
    {"layer.shared", "Layer with shared experts", "L.7",
     "y = (x +) sum_m S_m(x) + sum_{i in I} weight_i E_i(x), or 1/2 S_0(x) + 1/2 sum_{i in I} weight_i E_i(x)",
     "Dai et al. 2024, DeepSeekMoE (from memory, high confidence); half: public code of CompeteSMoE v2 (read)",
     "ref/layer.c: smoe_shared_mix, smoe_shared_layer, smoe_shared_layer_vjp", shared_in, shared_out, shared_param,
     shared_cases, shared_check, shared_forward, shared_vjp},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
