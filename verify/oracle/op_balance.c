/* Operations of chapter B: spec/04-balance.md. */
#include <stdint.h>
#include <stdlib.h>

#include "balance.h"
#include "op.h"

/* --- balance.switch ----------------------------------------------------------------------------------------------- */

static const op_tensor switch_in[] = {
    {"r", "T,N", OP_INPUT, OP_DIFF, "router logits"},
    {"mask", "T", OP_INPUT, OP_OPTIONAL, "1 for a token, 0 for padding, which counts nowhere; ones if it is missing"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor switch_out[] = {
    {"loss", "", OP_BOUNDED, OP_DIFF, "N sum_i f_i P_i, or its mean or sum over sequences or layers"},
    {"fraction", "N", OP_STAGE, 0, "f of all real tokens together: each expert's share of the assignments counted"},
    {"probability", "N", OP_STAGE, 0, "P of all real tokens together: the mean of softmax(r)"},
    {"index", "T,K", OP_DECISION, OP_I64 | OP_OPTIONAL, "the K experts of each token, largest logit first"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param switch_param[] = {
    {"k", OP_INT, "2", "experts a token"},
    {"count", OP_CHOICE, "all|first", "f counts all K choices, or each token's first one"},
    {"divide", OP_CHOICE, "choices|tokens", "f is divided by the choices that could count (T K, or T), or by T always"},
    {"scope", OP_CHOICE, "batch|sequence|layer",
     "one loss of all tokens; or one of each sequence; or one of each layer, the layers' logits stacked in r"},
    {"sequence", OP_INT, "0", "tokens of a sequence, or of a layer, if scope is not batch; divides T"},
    {"reduce", OP_CHOICE, "mean|sum", "the mean or the sum of the sequences' or layers' losses"},
    {"capacity", OP_INT, "0", "f counts at most so many choices of an expert (in each sequence or layer); 0: all"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *switch_check(const op_case *c)
{
    const long T = (long)op_dim(c, 'T'), N = (long)op_dim(c, 'N'), k = op_int(c, "k"), S = op_int(c, "sequence");
    if (T < 1) return "T must be at least 1: a mean over no tokens is not defined";
    if (N < 1) return "N must be at least 1: there is no expert";
    if (k < 1 || k > N) return "k must be at least 1 and at most N";
    if (op_int(c, "capacity") < 0) return "capacity must not be negative; 0 means that there is no limit";
    if (op_is(c, "scope", "batch"))
        return S == 0 ? NULL : "sequence is only for scope=sequence or layer; leave it at 0 for scope=batch";
    if (S < 1) return "scope=sequence or layer needs sequence, the number of tokens of one, at least 1";
    return T % S == 0 ? NULL : "sequence must divide T: the loss is taken over whole sequences or layers";
}

/* f of each of `groups` equal parts of the batch, [groups,N]; 0 for a part that is all padding. */
static smoe_status fractions(const op_case *c, size_t groups, const size_t *index, double *f)
{
    const size_t T = op_dim(c, 'T') / groups, N = op_dim(c, 'N'), K = op_dim(c, 'K');
    const size_t J = op_is(c, "count", "all") ? K : 1, capacity = (size_t)op_int(c, "capacity");
    size_t *count = op_room(N, sizeof *count), real;
    smoe_status status = SMOE_OK;
    for (size_t b = 0; b < groups && status == SMOE_OK; b++) {
        const double *mask = op_in(c, "mask") + b * T;
        status = smoe_real_tokens(T, mask, &real);
        if (status == SMOE_OK) status = smoe_expert_load_masked(T, K, J, N, index + b * T * K, mask, count);
        if (status != SMOE_OK || real == 0) continue; /* f stays 0 */
        if (capacity > 0) smoe_load_kept(N, capacity, count);
        status = smoe_load_fraction(op_is(c, "divide", "choices") ? real * J : real, N, count, f + b * N);
    }
    free(count);
    return status;
}

static size_t groups_of(const op_case *c)
{
    return op_is(c, "scope", "batch") ? 1 : op_dim(c, 'T') / (size_t)op_int(c, "sequence");
}

static smoe_status switch_forward(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K'), B = groups_of(c);
    size_t *index = op_room(T * K, sizeof *index), groups = 1;
    double *f = op_room(B * N, sizeof *f), *p = op_room(T * N, sizeof *p), *P = op_room(B * N, sizeof *P);
    double *loss = op_out(c, "loss"), *mask = op_in(c, "mask");
    smoe_status status = op_choose(T, N, K, op_in(c, "r"), index);
    if (status == SMOE_OK) status = fractions(c, B, index, f);
    if (status == SMOE_OK) status = smoe_balance_groups(B, T / B, N, op_in(c, "r"), mask, f, p, P, &groups, loss);
    if (status == SMOE_OK) status = smoe_mean_probability_masked(T, N, p, mask, op_out(c, "probability"));
    if (status == SMOE_OK) status = fractions(c, 1, index, op_out(c, "fraction"));
    if (op_is(c, "reduce", "mean")) *loss = *loss / (double)groups;
    op_write_index(c, "index", T * K, index);
    free(index);
    free(f);
    free(p);
    free(P);
    return status;
}

static smoe_status switch_vjp(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K'), B = groups_of(c);
    size_t *index = op_read_index(c, "index", T * K), groups = 1;
    double *f = op_room(B * N, sizeof *f), *p = op_room(T * N, sizeof *p), *P = op_room(B * N, sizeof *P);
    double *dp = op_room(N, sizeof *dp), sum, dsum = *op_cot(c, "loss");
    const double *mask = op_in(c, "mask");
    smoe_status status = fractions(c, B, index, f);
    if (status == SMOE_OK) status = smoe_balance_groups(B, T / B, N, op_in(c, "r"), mask, f, p, P, &groups, &sum);
    if (op_is(c, "reduce", "mean")) dsum = dsum / (double)groups;
    if (status == SMOE_OK) status = smoe_balance_groups_vjp(B, T / B, N, f, p, mask, dsum, dp, op_grad(c, "r"));
    free(index);
    free(f);
    free(p);
    free(P);
    free(dp);
    return status;
}

/* A cotangent of 1, so that the gradient is the loss's own, and no padding. */
static void plain(op_case *c)
{
    *op_cot(c, "loss") = 1;
    for (size_t t = 0; t < op_dim(c, 'T'); t++) op_in(c, "mask")[t] = 1;
}

/* Logits at least a quarter apart in each row: no decision is in doubt at any precision. */
static void apart(op_case *c, op_rng *r) { op_fill_apart(r, 0.25, op_dim(c, 'T'), op_dim(c, 'N'), op_in(c, "r")); }

static void fill_apart(op_case *c, op_rng *r)
{
    const double cotangent = *op_cot(c, "loss");
    plain(c);
    *op_cot(c, "loss") = cotangent;
    apart(c, r);
}

static void fill_apart_plain(op_case *c, op_rng *r)
{
    apart(c, r);
    plain(c);
}

/* Three tokens (0, 0), whose tie goes to expert 0, and one that is sure of expert 1:  f = (3/4, 1/4),
 * P = (3/8, 5/8) up to e^-800,  loss = 2 (9/32 + 5/32) = 7/8. */
static void fill_seven_eighths(op_case *c, op_rng *r)
{
    (void)r;
    double *z = op_in(c, "r");
    z[6] = -400;
    z[7] = 400;
    plain(c);
}

static void fill_equal(op_case *c, op_rng *r)
{
    const double level = op_representable(op_normal(r));
    for (size_t k = 0; k < op_dim(c, 'T') * op_dim(c, 'N'); k++) op_in(c, "r")[k] = level;
    plain(c);
}

/* Token t prefers experts first(t), first(t)+1, ...: levels 4, 3, 2, 1 on these four, 0 elsewhere, a little noise. */
static void prefer(op_case *c, op_rng *r, size_t (*first)(size_t t, size_t T, size_t N))
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    double *z = op_in(c, "r");
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) {
            const size_t rank = (i + N - first(t, T, N) % N) % N;
            const double noise = 0.125 * (double)op_below(r, 3);
            z[t * N + i] = (rank < 4 ? 4 - (double)rank : 0) + noise;
        }
    plain(c);
}

static size_t always_0(size_t t, size_t T, size_t N)
{
    (void)t, (void)T, (void)N;
    return 0;
}

static size_t in_turn(size_t t, size_t T, size_t N)
{
    (void)T, (void)N;
    return t;
}

static size_t halves(size_t t, size_t T, size_t N) { return 2 * t < T ? 0 : N / 2; }

static void fill_collapse(op_case *c, op_rng *r) { prefer(c, r, always_0); }
static void fill_opposite(op_case *c, op_rng *r) { prefer(c, r, halves); }

/* The logits (8, 4, 0, 0) and (0, 0, 8, 4), four tokens each: 2 (1 - 2/(e^8 + e^4 + 2)) for each half. */
static void fill_layers(op_case *c, op_rng *r)
{
    (void)r;
    for (size_t k = 0; k < 32; k++)
        op_in(c, "r")[k] = (k + (k < 16 ? 0 : 2)) % 4 == 0 ? 8 : (k + (k < 16 ? 0 : 2)) % 4 == 1 ? 4 : 0;
    plain(c);
}

/* Every expert equally often first, second, ...: no noise, so that P is uniform too. */
static void fill_balanced(op_case *c, op_rng *r)
{
    prefer(c, r, in_turn);
    double *z = op_in(c, "r");
    for (size_t k = 0; k < op_dim(c, 'T') * op_dim(c, 'N'); k++) z[k] = (double)(long)z[k];
}

/* All first choices on expert 0, the second ones on all others in turn. */
static void fill_one_first(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    double *z = op_in(c, "r");
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++)
            z[t * N + i] = (i == 0 ? 4 : i == 1 + t % (N - 1) ? 3 : 0) + 0.125 * (double)op_below(r, 3);
    plain(c);
}

/* The last expert is far behind everywhere: it gets no token, and almost no probability. */
static void fill_idle(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    fill_apart(c, r);
    for (size_t t = 0; t < T; t++) op_in(c, "r")[t * N + N - 1] = -20;
}

/* Logits of the size of 30: probabilities down to e^-60. */
static void fill_steep(op_case *c, op_rng *r)
{
    fill_apart(c, r);
    for (size_t k = 0; k < op_dim(c, 'T') * op_dim(c, 'N'); k++) op_in(c, "r")[k] *= 32;
}

/* Two sequences, each on one topic: logit 123/32 for its own expert, 0 for the other three, p = (.9396, .0201 ...).
 * By sequence 4 * .9396 = 3.758; the batch has f = (1/2, 1/2, 0, 0), P = (.4799, .4799 ...): 2 * .9598 = 1.920. */
static void fill_topics(op_case *c, op_rng *r)
{
    (void)r;
    for (size_t t = 0; t < 8; t++) op_in(c, "r")[4 * t + t / 4] = 3.84375;
    plain(c);
}

/* Half of every eight tokens is padding, all of it sure of expert 0; real tokens are spread over the others too. */
static void fill_padding(op_case *c, op_rng *r)
{
    const size_t N = op_dim(c, 'N');
    apart(c, r);
    plain(c);
    for (size_t t = 0; t < op_dim(c, 'T'); t++)
        if (t % 8 >= 4) {
            op_in(c, "mask")[t] = 0;
            for (size_t i = 0; i < N; i++) op_in(c, "r")[t * N + i] = i == 0 ? 8 : 0.25 * (double)(N - i);
        }
}

/* The same, with a last sequence that holds nothing but padding. */
static void fill_empty_sequence(op_case *c, op_rng *r)
{
    fill_padding(c, r);
    for (size_t t = op_dim(c, 'T') - 8; t < op_dim(c, 'T'); t++) op_in(c, "mask")[t] = 0;
}

/* One real token at the very end. */
static void fill_last_real(op_case *c, op_rng *r)
{
    fill_padding(c, r);
    for (size_t t = 0; t < op_dim(c, 'T'); t++) op_in(c, "mask")[t] = t + 1 == op_dim(c, 'T');
}

static const op_spec switch_cases[] = {
    {"small", "smoke", "T=6,N=4", "k=2", "", "a first look", fill_apart},
    {"random", "core", "T=16,N=8", "k=2", "", "standard normal logits", NULL},
    {"apart", "core", "T=12,N=6", "k=3", "", "decisions that no precision doubts", fill_apart_plain},
    {"top-1", "core", "T=9,N=5", "k=1", "", "Switch's own setting", fill_apart},
    {"all-chosen", "core", "T=5,N=4", "k=4", "", "K = N: f is uniform, so the loss is 1 whatever P", fill_apart},
    {"one-expert", "core", "T=4,N=1", "k=1", "exact", "N = 1: everything is 1 and the gradient 0", NULL},
    {"one-token", "core", "T=1,N=5", "k=2", "", "a mean over one token", fill_apart},
    {"first", "core", "T=10,N=5", "k=3,count=first", "", "f from first choices, as CompeteSMoE v2's code", fill_apart},
    {"sequences", "core", "T=12,N=4", "k=2,scope=sequence,sequence=4", "", "three sequences of four", fill_apart},
    {"sequences-first", "core", "T=12,N=4", "k=2,count=first,scope=sequence,sequence=3", "",
     "the balancing loss of CompeteSMoE v2's code", fill_apart},
    {"sequence-of-one", "core", "T=6,N=4", "k=2,scope=sequence,sequence=1", "", "a token is a sequence", fill_apart},
    {"whole-sequence", "core", "T=8,N=4", "k=2,scope=sequence,sequence=8", "", "one sequence: the loss of the batch",
     fill_apart},
    {"steep", "core", "T=8,N=8", "k=2", "", "probabilities down to e^-60", fill_steep},
    {"seven-eighths", "core", "T=4,N=2", "k=1", "ties,exact,SwitchBelowOne",
     "the loss is 7/8: 'the Switch loss is at least 1' is folklore", fill_seven_eighths},
    {"equal", "core", "T=6,N=4", "k=2", "ties,exact,TieOrder",
     "all logits equal: P uniform, loss exactly 1, all tokens on experts 0 and 1; vllm-project/vllm#55514", fill_equal},
    {"balanced", "core", "T=12,N=4", "k=2", "LblTopKNorm,LblProbOverTK",
     "perfect balance: 1, where a wrong divisor gives 2 or 1/2; allenai/OLMoE#40, #45", fill_balanced},
    {"balanced-tokens", "core", "T=12,N=4", "k=2,divide=tokens", "LblProbOverTK",
     "the same where f is divided by T: K; huggingface/transformers#43775", fill_balanced},
    {"collapse", "core", "T=8,N=4", "k=2", "LblDoubleSoftmax,LblConstant,LblTopKNorm,LblProbOverTK,LblFirstChoiceOnly",
     "all tokens on two experts with confidence; huggingface/transformers#28093, #39055, #43775", fill_collapse},
    {"two-layers", "core", "T=8,N=4", "k=2,scope=layer,sequence=4,reduce=sum",
     "LblCrossLayer,LblDoubleSoftmax,LblFirstChoiceOnly,LblConstant",
     "two layers, confident of opposite experts: 3.9974; pooled 2.0000, double softmax 2.5928, softmax of the "
     "selected 2.0000, first choice only 7.8509; huggingface/transformers#31464, #29503",
     fill_layers},
    {"two-layers-mean", "core", "T=8,N=4", "k=2,scope=layer,sequence=4",
     "LblCrossLayer,LblDoubleSoftmax,LblFirstChoiceOnly,LblConstant",
     "the mean over the two layers: 1.9987, pooled 1; QwenLM/Qwen3#1418", fill_layers},
    {"opposite-layers", "core", "T=8,N=4", "k=2,scope=layer,sequence=4", "LblCrossLayer",
     "layers collapsed on opposite experts: pooling them cancels the collapses; huggingface/transformers#29503",
     fill_opposite},
    {"topics", "core", "T=8,N=4", "k=1", "LblPerSequence",
     "two sequences on one topic each: 1.92 for the batch, 3.76 by sequence; Fsoft-AIC/CompeteSMoE", fill_topics},
    {"topics-sequences", "core", "T=8,N=4", "k=1,scope=sequence,sequence=4", "LblCrossLayer",
     "the same where the sequences are meant: 3.76, pooled 1.92; Fsoft-AIC/CompeteSMoE", fill_topics},
    {"idle", "core", "T=10,N=5", "k=2", "ZeroTokenExpert",
     "an expert without tokens has f = 0, not a division by 0; NVIDIA-NeMo/Automodel#532", fill_idle},
    {"padding", "core", "T=16,N=4", "k=2", "LblPadding,mask",
     "half of the tokens is padding and sure of expert 0; huggingface/transformers#28505, #29363", fill_padding},
    {"padding-sequences", "core", "T=24,N=4", "k=2,scope=sequence,sequence=8", "LblPadding,mask",
     "a sequence of padding alone is not averaged either; NVIDIA/Megatron-LM#1984, #1617", fill_empty_sequence},
    {"tokens", "core", "T=10,N=5", "k=3,divide=tokens", "", "all choices over T: K times the value", fill_apart},
    {"capacity", "core", "T=12,N=4", "k=2,capacity=6", "",
     "f counts six choices of an expert at most, its divisor stays", fill_apart},
    {"capacity-sequences", "core", "T=12,N=4", "k=2,capacity=2,scope=sequence,sequence=6,count=first", "",
     "the limit holds in each sequence", fill_apart},
    {"collapse-8", "adversarial", "T=16,N=8", "k=2",
     "LblDoubleSoftmax,LblConstant,LblTopKNorm,LblProbOverTK,LblFirstChoiceOnly",
     "the same with eight experts: one softmax too many costs more than half", fill_collapse},
    {"collapse-top-1", "adversarial", "T=8,N=4", "k=1", "LblDoubleSoftmax,LblConstant",
     "with K = 1 the classes that concern K cannot be told apart, these can", fill_collapse},
    {"collapse-capacity", "adversarial", "T=8,N=4", "k=2,capacity=4", "LblAfterCapacity",
     "all tokens on two experts that may take half of them: half the loss", fill_collapse},
    {"one-first", "adversarial", "T=9,N=4", "k=2", "LblFirstChoiceOnly,LblDoubleSoftmax",
     "first choices collapsed, second ones spread; deepspeedai/DeepSpeed#2551, #5156", fill_one_first},
    {"one-first-counted", "adversarial", "T=9,N=4", "k=2,count=first", "LblCountAll",
     "the same where first choices are what is meant", fill_one_first},
    {"opposite", "adversarial", "T=8,N=4", "k=2", "LblPerSequence",
     "two halves collapsed on opposite experts: 1 for the batch, 1.8 by halves", fill_opposite},
    {"opposite-sequences", "adversarial", "T=8,N=4", "k=2,scope=sequence,sequence=4", "LblCrossLayer",
     "the same by sequence: pooling them cancels the collapses; huggingface/transformers#31464", fill_opposite},
    {"padding-sum", "adversarial", "T=24,N=6", "k=2,scope=sequence,sequence=8,reduce=sum,divide=tokens,capacity=3",
     "LblPadding,mask", "padding, a sum over sequences, T as divisor and a capacity at once", fill_empty_sequence},
    {"one-real", "adversarial", "T=16,N=4", "k=2", "LblPadding,mask", "one real token behind fifteen of padding",
     fill_last_real},
    {"large", "large", "T=64,N=8", "k=2", "", "the size of the layers' large cases", NULL},
    {"large-sequences", "large", "T=64,N=8", "k=2,scope=sequence,sequence=16", "", "four sequences of 16", NULL},
    {"large-padding", "large", "T=64,N=8", "k=2,scope=sequence,sequence=16", "LblPadding,mask", "the same, half padding",
     fill_padding},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- balance.zloss ------------------------------------------------------------------------------------------------ */

static const op_tensor zloss_in[] = {
    {"r", "T,N", OP_INPUT, OP_DIFF, "router logits"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor zloss_out[] = {
    {"loss", "", OP_BOUNDED, OP_DIFF, "mean over the tokens of logsumexp(r)^2"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};

static const char *zloss_check(const op_case *c)
{
    if (op_dim(c, 'T') < 1) return "T must be at least 1: a mean over no tokens is not defined";
    return op_dim(c, 'N') < 1 ? "N must be at least 1: there is no expert" : NULL;
}

static smoe_status zloss_forward(op_case *c)
{
    double *lse = op_room(op_dim(c, 'T'), sizeof *lse);
    smoe_status status = smoe_z_loss(op_dim(c, 'T'), op_dim(c, 'N'), op_in(c, "r"), lse, op_out(c, "loss"));
    free(lse);
    return status;
}

static smoe_status zloss_vjp(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    double *lse = op_room(T, sizeof *lse), loss;
    smoe_status status = smoe_z_loss(T, N, op_in(c, "r"), lse, &loss);
    if (status == SMOE_OK) status = smoe_z_loss_vjp(T, N, op_in(c, "r"), lse, *op_cot(c, "loss"), op_grad(c, "r"));
    free(lse);
    return status;
}

static void fill_shifted(op_case *c, op_rng *r, double shift)
{
    const size_t n = op_dim(c, 'T') * op_dim(c, 'N');
    apart(c, r);
    for (size_t k = 0; k < n; k++) op_in(c, "r")[k] += shift;
    *op_cot(c, "loss") = 1;
}

static void fill_high(op_case *c, op_rng *r) { fill_shifted(c, r, 8); }
static void fill_low(op_case *c, op_rng *r) { fill_shifted(c, r, -8); }
static void fill_even(op_case *c, op_rng *r) { fill_shifted(c, r, 0); }

/* All logits -2: logsumexp is ln N - 2. */
static void fill_flat(op_case *c, op_rng *r)
{
    (void)r;
    for (size_t k = 0; k < op_dim(c, 'T') * op_dim(c, 'N'); k++) op_in(c, "r")[k] = -2;
    *op_cot(c, "loss") = 1;
}

static void fill_far(op_case *c, op_rng *r) { op_fill_normal(r, 200, op_dim(c, 'T') * op_dim(c, 'N'), op_in(c, "r")); }

static const op_spec zloss_cases[] = {
    {"small", "smoke", "T=4,N=4", "", "", "a first look", NULL},
    {"random", "core", "T=16,N=8", "", "", "standard normal logits", NULL},
    {"even", "core", "T=8,N=4", "", "", "logits around 0", fill_even},
    {"one-expert", "core", "T=5,N=1", "", "", "N = 1: the mean of r^2", NULL},
    {"one-token", "core", "T=1,N=6", "", "", "a mean over one token", NULL},
    {"far", "core", "T=6,N=5", "", "", "logits of the size of 200: exp of them overflows", fill_far},
    {"high", "adversarial", "T=6,N=4", "", "ZLossInput",
     "around 8: probabilities for logits give 2 instead of 80; huggingface/transformers#48421", fill_high},
    {"low", "adversarial", "T=6,N=4", "", "ZLossInput,ZLossSign", "around -8: the gradient points up", fill_low},
    {"flat", "adversarial", "T=3,N=8", "", "ZLossInput", "all equal: (ln 8 - 2)^2", fill_flat},
    {"large", "large", "T=64,N=8", "", "", "the size of the layers' large cases", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

const op_record op_balance[] = {
    {"balance.switch", "Switch balancing loss", "B.1 B.2 B.3 B.4 B.5 B.7 B.8",
     "loss = N sum_i f_i P_i,  f_i = #{(t,j): index[t,j] = i}/(T K), a constant,  P_i = (1/T) sum_t softmax(r_t)_i",
     "Fedus et al. 2022 (Switch Transformers), eqs. (4) to (6), for K = 1: from memory, sure; K > 1 by public code",
     "ref/balance.c: smoe_expert_load, smoe_load_fraction, smoe_mean_probability, smoe_switch_loss, "
     "smoe_balance_loss, smoe_balance_loss_vjp; what the operation runs: smoe_expert_load_masked, smoe_load_kept, "
     "smoe_mean_probability_masked, smoe_balance_groups, smoe_balance_groups_vjp",
     switch_in, switch_out, switch_param, switch_cases, switch_check, switch_forward, switch_vjp},
    {"balance.zloss", "Router z-loss", "B.6", "loss = (1/T) sum_t (log sum_i exp r_{t,i})^2",
     "Zoph et al. 2022 (ST-MoE), eq. (5): from memory, sure, and read in public code",
     "ref/balance.c: smoe_z_loss, smoe_z_loss_vjp", zloss_in, zloss_out, NULL, zloss_cases, zloss_check, zloss_forward,
     zloss_vjp},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
