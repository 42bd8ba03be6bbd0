/* Operations of chapter C on schedules and whole training steps: spec/05-compete.md. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "compete.h"
#include "op.h"
#include "op_compete.h"

/* --- compete.balance ---------------------------------------------------------------------------------------------- */

static const op_tensor balance_in[] = {
    {"s", "T,N", OP_INPUT, OP_DIFF, "responses"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor balance_out[] = {
    {"loss", "", OP_BOUNDED, OP_DIFF, "N times the sum of f_i P_i"},
    {"index", "T,K", OP_DECISION, OP_I64 | OP_OPTIONAL, "the winners: TopK(s)"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param balance_param[] = {
    {"k", OP_INT, "2", "winners of a token"},
    {"count", OP_CHOICE, "all|first", "f counts all K choices of a token, or the first"},
    {"divide", OP_CHOICE, "choices|tokens", "f is divided by what was counted, or by the tokens"},
    {"scope", OP_CHOICE, "batch|sequence", "one loss for all tokens, or the mean over sequences"},
    {"sequence", OP_INT, "0", "tokens of a sequence, for scope=sequence"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *balance_check(const op_case *c)
{
    const long T = (long)op_dim(c, 'T'), S = op_int(c, "sequence");
    if (T < 1) return "T must be at least 1: a mean over no tokens is not defined";
    if (op_is(c, "scope", "sequence") && (S < 1 || T % S != 0)) return "sequence must divide T";
    return compete_check_winners(c);
}

/* Everything between s and the loss, in one block. */
typedef struct {
    size_t B, S, A, *index, *count;
    double *f, *q, *P, *work;
} balancing;

static balancing balance_new(const op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K');
    balancing b = {.B = 1, .S = T};
    if (op_is(c, "scope", "sequence")) b.S = (size_t)op_int(c, "sequence"), b.B = T / b.S;
    b.A = op_is(c, "divide", "choices") && op_is(c, "count", "all") ? b.S * K : b.S;
    b.index = op_room(T * K + N, sizeof *b.index);
    b.count = b.index + T * K;
    b.f = op_room(3 * b.B * N + N + T * N, sizeof *b.f);
    b.P = b.f + b.B * N, b.work = b.P + b.B * N, b.q = b.work + b.B * N + N;
    return b;
}

static smoe_status balance_run(const op_case *c, balancing *b, double *loss)
{
    smoe_status status = compete_winners(c, op_in(c, "s"), b->index);
    if (status != SMOE_OK) return status;
    return smoe_compete_balance(op_is(c, "count", "all") ? SMOE_COUNT_ALL : SMOE_COUNT_FIRST, b->B, b->S,
                                op_dim(c, 'N'), op_dim(c, 'K'), b->A, op_in(c, "s"), b->index, b->count, b->f, b->q,
                                b->P, loss);
}

static smoe_status balance_forward(op_case *c)
{
    balancing b = balance_new(c);
    smoe_status status = balance_run(c, &b, op_out(c, "loss"));
    op_write_index(c, "index", op_dim(c, 'T') * op_dim(c, 'K'), b.index);
    free(b.index);
    free(b.f);
    return status;
}

static smoe_status balance_vjp(op_case *c)
{
    double loss;
    balancing b = balance_new(c);
    smoe_status status = balance_run(c, &b, &loss);
    if (status == SMOE_OK)
        status =
            smoe_compete_balance_vjp(b.B, b.S, op_dim(c, 'N'), b.f, b.q, *op_cot(c, "loss"), op_grad(c, "s"), b.work);
    free(b.index);
    free(b.f);
    return status;
}

/* Responses clearly apart. */
static void fill_balance_apart(op_case *c, op_rng *r)
{
    op_fill_apart(r, 0.5, op_dim(c, 'T'), op_dim(c, 'N'), op_in(c, "s"));
    *op_cot(c, "loss") = 4;
}

/* Token t ranks from expert `first` on: 4, 3, 2, 1, and 1/4 for the others. */
static void rank_from(op_case *c, size_t t, size_t first)
{
    const size_t N = op_dim(c, 'N');
    for (size_t i = 0; i < N; i++) {
        const size_t rank = (i + N - first % N) % N;
        op_in(c, "s")[t * N + i] = rank < 4 ? 4 - (double)rank : 0.25;
    }
}

/* Every token wants the same experts. */
static void fill_balance_collapse(op_case *c, op_rng *r)
{
    (void)r;
    for (size_t t = 0; t < op_dim(c, 'T'); t++) rank_from(c, t, 0);
    *op_cot(c, "loss") = 4;
}

/* The second half of the tokens has collapsed on the opposite experts. */
static void fill_balance_opposite(op_case *c, op_rng *r)
{
    (void)r;
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    for (size_t t = 0; t < T; t++) rank_from(c, t, 2 * t < T ? 0 : N / 2);
    *op_cot(c, "loss") = 4;
}

/* The tokens take turns: every expert is first, second, ... equally often. */
static void fill_balance_perfect(op_case *c, op_rng *r)
{
    (void)r;
    for (size_t t = 0; t < op_dim(c, 'T'); t++) rank_from(c, t, t);
    *op_cot(c, "loss") = 4;
}

static void fill_balance_equal(op_case *c, op_rng *r)
{
    (void)r;
    for (size_t k = 0; k < c->in[0].count; k++) op_in(c, "s")[k] = 0.6875;
    *op_cot(c, "loss") = 4;
}

/* Responses as mean softplus gives them at the start, all near ln 2: the loss is near 1 whatever the load. */
static void fill_balance_close(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    op_fill_apart(r, 0.0078125, T, N, op_in(c, "s"));
    for (size_t k = 0; k < T * N; k++) op_in(c, "s")[k] = op_representable(op_in(c, "s")[k] + 0.6875);
    *op_cot(c, "loss") = 16;
}

/* Three tokens, two experts, one winner: p = (1/2,1/2) by a tie, and e^-64 for (0,1): 7/8 in every precision. */
static void fill_seven_eighths(op_case *c, op_rng *r)
{
    (void)r;
    const size_t T = op_dim(c, 'T');
    for (size_t t = 0; t < T; t++) op_in(c, "s")[2 * t] = 0, op_in(c, "s")[2 * t + 1] = t + 1 == T ? 64 : 0;
    *op_cot(c, "loss") = 1;
}

static const op_spec balance_cases[] = {
    {"small", "smoke", "T=4,N=4", "k=2", "", "a first look", fill_balance_apart},
    {"random", "core", "T=12,N=6", "k=2", "", "standard normal responses", NULL},
    {"apart", "core", "T=8,N=6", "k=3", "", "decisions that no precision doubts", fill_balance_apart},
    {"first", "core", "T=8,N=4", "k=2,count=first", "", "first choices, as the second CompeteSMoE code",
     fill_balance_apart},
    {"tokens", "core", "T=8,N=4", "k=2,divide=tokens", "", "f over the tokens: K at balance", fill_balance_apart},
    {"sequence", "core", "T=12,N=4", "k=2,scope=sequence,sequence=4", "", "three sequences", fill_balance_apart},
    {"first-sequence", "core,adversarial", "T=8,N=4", "k=2,count=first,scope=sequence,sequence=4", "",
     "the form of the second CompeteSMoE code", fill_balance_apart},
    {"top-1", "core", "T=8,N=4", "k=1", "", "one winner", fill_balance_apart},
    {"seven-eighths", "core", "T=4,N=2", "k=1", "LblConstant,LblDoubleSoftmax,ties",
     "7/8: the loss can be below 1 (three ties and one sure token)", fill_seven_eighths},
    {"perfect", "core", "T=8,N=4", "k=2", "LblProbOverTK,LblTopKNorm", "perfect balance: 1, in any sum of the terms",
     fill_balance_perfect},
    {"equal", "core", "T=6,N=4", "k=2", "ties,TieOrder,LblProbOverTK", "all responses equal: 0 and 1 win, loss 1",
     fill_balance_equal},
    {"collapse", "core", "T=8,N=8", "k=2",
     "LblProbOverTK,LblTopKNorm,LblFirstChoiceOnly,LblDoubleSoftmax,LblConstant,LblGrad,ZeroTokenExpert",
     "every token has the same two winners; six experts without tokens", fill_balance_collapse},
    {"opposite", "core", "T=8,N=8", "k=2", "LblPerSequence,LblCrossLayer",
     "two halves collapsed on opposite experts (huggingface/transformers#31464)", fill_balance_opposite},
    {"opposite-sequence", "core", "T=8,N=8", "k=2,scope=sequence,sequence=4", "LblCrossLayer,LblWholeBatch",
     "... and sequence by sequence, where each is a collapse", fill_balance_opposite},
    {"collapse-first", "adversarial", "T=8,N=8", "k=2,count=first", "LblCountAll", "first choices are what is meant",
     fill_balance_collapse},
    {"collapse-tokens", "adversarial", "T=8,N=8", "k=2,divide=tokens", "LblTopKNorm", "over the tokens is meant",
     fill_balance_collapse},
    {"close", "adversarial", "T=8,N=8", "k=2", "LblDoubleSoftmax",
     "responses near ln 2: nearly uniform P, as at the start of training", fill_balance_close},
    {"all-win", "adversarial", "T=5,N=4", "k=4", "", "K = N: f is uniform, the loss 1, its gradient 0",
     fill_balance_apart},
    {"one-expert", "adversarial", "T=4,N=1", "k=1", "", "N = 1: 1", fill_balance_apart},
    {"large", "large", "T=64,N=8", "k=2", "", "the size of the layers' large cases", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- compete.mix -------------------------------------------------------------------------------------------------- */

static const op_tensor mix_in[] = {
    {"o", "T,N,d", OP_INPUT, OP_DIFF, "outputs of all experts"},
    {"r", "T,N", OP_INPUT, OP_DIFF, "router logits"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor mix_out[] = {
    {"s", "T,N", OP_BOUNDED, OP_DIFF, "responses with the router's share"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param mix_param[] = {
    {"kind", OP_CHOICE, "norm|softplus|relu|sigmoid|silu", "the response: the L2 norm of o, or a mean"},
    {"share", OP_REAL, "0.5", "weight of r; the response has the rest"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *mix_check(const op_case *c)
{
    if (op_dim(c, 'N') < 1) return "N must be at least 1: there is no expert";
    return op_dim(c, 'd') < 1 ? "d must be at least 1: a response is a mean over the width" : NULL;
}

static smoe_status mix_responses(const op_case *c, double *response)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), d = op_dim(c, 'd');
    smoe_status (*f)(size_t, size_t, const double *, double *) = op_is(c, "kind", "norm")       ? smoe_response_norm
                                                                 : op_is(c, "kind", "softplus") ? smoe_response_softplus
                                                                 : op_is(c, "kind", "relu")     ? smoe_response_relu
                                                                 : op_is(c, "kind", "sigmoid")  ? smoe_response_sigmoid
                                                                                                : smoe_response_silu;
    smoe_status status = SMOE_OK;
    for (size_t t = 0; t < T && status == SMOE_OK; t++) status = f(N, d, op_in(c, "o") + t * N * d, response + t * N);
    return status;
}

static smoe_status mix_forward(op_case *c)
{
    const size_t n = c->in[1].count;
    double *response = op_room(n, sizeof *response);
    smoe_status status = mix_responses(c, response);
    if (status == SMOE_OK) status = smoe_mix_scores(n, op_real(c, "share"), response, op_in(c, "r"), op_out(c, "s"));
    free(response);
    return status;
}

static smoe_status mix_vjp(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), d = op_dim(c, 'd');
    double *response = op_room(2 * T * N, sizeof *response), *dresponse = response + T * N;
    smoe_status (*f)(size_t, size_t, const double *, const double *, double *) =
        op_is(c, "kind", "softplus")  ? smoe_response_softplus_vjp
        : op_is(c, "kind", "relu")    ? smoe_response_relu_vjp
        : op_is(c, "kind", "sigmoid") ? smoe_response_sigmoid_vjp
                                      : smoe_response_silu_vjp;
    smoe_status status = mix_responses(c, response);
    if (status == SMOE_OK)
        status = smoe_mix_scores_vjp(T * N, op_real(c, "share"), op_cot(c, "s"), dresponse, op_grad(c, "r"));
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        const double *o = op_in(c, "o") + t * N * d;
        double *do_ = op_grad(c, "o") + t * N * d;
        status = op_is(c, "kind", "norm") ? smoe_response_norm_vjp(N, d, o, response + t * N, dresponse + t * N, do_)
                                          : f(N, d, o, dresponse + t * N, do_);
    }
    free(response);
    return status;
}

/* Outputs large and negative in every second expert: by norm they respond, by softplus they do not. */
static void fill_mix_signs(op_case *c, op_rng *r)
{
    const size_t N = op_dim(c, 'N'), d = op_dim(c, 'd');
    op_fill_default(c, r);
    for (size_t k = 0; k < c->in[0].count; k++) {
        const double size = 2 + 0.25 * (double)op_below(r, 8);
        op_in(c, "o")[k] = k / d % N % 2 ? -2 * size : size;
    }
}

/* Outputs from 20.25 on, where PyTorch's softplus is the identity. */
static void fill_mix_above_20(op_case *c, op_rng *r)
{
    op_fill_default(c, r);
    for (size_t k = 0; k < c->in[0].count; k++) op_in(c, "o")[k] = 20.25 + 0.25 * (double)op_below(r, 8);
}

static const op_spec mix_cases[] = {
    {"small", "smoke", "T=3,N=4,d=4", "", "", "a first look", NULL},
    {"norm", "core", "T=6,N=5,d=8", "", "", "as six scripts of the first CompeteSMoE code", NULL},
    {"softplus", "core", "T=6,N=5,d=8", "kind=softplus,share=0.25", "", "with version 2's response", NULL},
    {"silu", "core", "T=6,N=5,d=8", "kind=silu,share=0.75", "", "with another response", NULL},
    {"relu", "core", "T=6,N=5,d=8", "kind=relu", "", "with another response", NULL},
    {"sigmoid", "core", "T=6,N=5,d=8", "kind=sigmoid", "", "with another response", NULL},
    {"no-share", "core", "T=4,N=4,d=4", "share=0", "", "the response alone; r gets no gradient", NULL},
    {"all-share", "core", "T=4,N=4,d=4", "share=1", "", "the router alone; o gets no gradient", NULL},
    {"no-token", "core", "T=0,N=3,d=2", "", "", "T = 0 is legal where nothing is averaged over tokens", NULL},
    {"quarter", "adversarial", "T=4,N=4,d=4", "share=0.25", "MixSwapped,MixGradNone",
     "share is the router's part, not the response's; and the router is trained through it", NULL},
    {"signs", "adversarial", "T=4,N=4,d=4", "", "ResponseSoftplus,MixSwapped",
     "by norm, large negative outputs respond", fill_mix_signs},
    {"signs-softplus", "adversarial", "T=4,N=4,d=4", "kind=softplus", "ResponseNorm,MixNone,ResponseSum",
     "by softplus they do not",
     fill_mix_signs},
    {"above-20", "adversarial", "T=4,N=4,d=4", "kind=softplus", "SoftplusThreshold,MixSum",
     "outputs where PyTorch's softplus gives up (torch.nn.functional.softplus, threshold=20)", fill_mix_above_20},
    {"large", "large", "T=64,N=8,d=64", "", "", "the size of the layers' large cases", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- compete.lambda ----------------------------------------------------------------------------------------------- */

static const op_tensor lambda_in[] = {
    {"t", "n", OP_INPUT, 0, "steps (or epochs), at least 0"},
    {"u", "n", OP_INPUT, 0, "coins in [0, 1)"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor lambda_out[] = {
    {"lambda", "n", OP_BOUNDED, 0, "probability of a competition"},
    {"compete", "n", OP_EXACT, OP_I64, "1 if the coin is below it, else 0"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};

/* out = what a size_t array says. */
static void write_counts(const op_case *c, const char *output, size_t n, const size_t *from)
{
    for (size_t k = 0; k < n; k++) op_out_i64(c, output)[k] = (int64_t)from[k];
}

static smoe_status lambda_forward(op_case *c)
{
    const size_t n = op_dim(c, 'n');
    size_t *compete = op_room(n, sizeof *compete);
    smoe_status status = smoe_compete_lambda(n, op_in(c, "t"), op_in(c, "u"), op_out(c, "lambda"), compete);
    write_counts(c, "compete", n, compete);
    free(compete);
    return status;
}

/* A coin well below the probability, or well above it. */
static void fill_coins(op_case *c, op_rng *r)
{
    for (size_t k = 0; k < op_dim(c, 'n'); k++) {
        const double lambda = 2 / (2 + sqrt(op_in(c, "t")[k] + 1));
        op_in(c, "u")[k] = op_representable(lambda * (op_below(r, 2) ? 0.5 : 1.25));
    }
}

static void fill_early(op_case *c, op_rng *r)
{
    for (size_t k = 0; k < op_dim(c, 'n'); k++) op_in(c, "t")[k] = (double)k;
    fill_coins(c, r);
}

/* t = 0, 3, 8, 15, ...: the root is whole, the probability 2/(2 + 1), 2/(2 + 2), 2/(2 + 3), ... */
static void fill_squares(op_case *c, op_rng *r)
{
    for (size_t k = 0; k < op_dim(c, 'n'); k++) op_in(c, "t")[k] = (double)((k + 1) * (k + 1) - 1);
    fill_coins(c, r);
}

/* Powers of two up to 2^15. */
static void fill_late(op_case *c, op_rng *r)
{
    for (size_t k = 0; k < op_dim(c, 'n'); k++) op_in(c, "t")[k] = ldexp(1, (int)(k % 16));
    fill_coins(c, r);
}

static void fill_lambda_random(op_case *c, op_rng *r)
{
    for (size_t k = 0; k < op_dim(c, 'n'); k++) op_in(c, "t")[k] = (double)op_below(r, 256);
    fill_coins(c, r);
}

/* Coins near 0 or near 1: who competes when u > 1 - lambda gets the same share of steps, and other ones. */
static void fill_reversed(op_case *c, op_rng *r)
{
    for (size_t k = 0; k < op_dim(c, 'n'); k++) {
        op_in(c, "t")[k] = (double)(k % 2 ? 48 : 0);
        op_in(c, "u")[k] = k % 4 < 2 ? 0.0625 * (double)(1 + op_below(r, 2)) : 0.875 + 0.0625 * (double)op_below(r, 2);
    }
}

static const op_spec lambda_cases[] = {
    {"small", "smoke", "n=4", "", "", "a first look", fill_early},
    {"early", "core", "n=12", "", "", "the first twelve steps", fill_early},
    {"squares", "core", "n=12", "", "", "2/3, 1/2, 2/5, 1/3, ...: roots that are whole", fill_squares},
    {"random", "core", "n=16", "", "", "any step up to 255", fill_lambda_random},
    {"none", "core", "n=0", "", "", "nothing to do", fill_early},
    {"zero", "adversarial", "n=1", "", "LambdaNoOne", "t = 0: 2/3, and 1 without the 1 under the root", fill_early},
    {"late", "adversarial", "n=16", "", "LambdaLinear", "2^15: a decay like 1/sqrt(t), not 1/t", fill_late},
    {"reversed", "adversarial", "n=8", "", "CoinReversed",
     "u > 1 - lambda, as the first CompeteSMoE code asks, is as probable and another step", fill_reversed},
    {"large", "large", "n=4096", "", "", "many", fill_lambda_random},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- compete.schedule --------------------------------------------------------------------------------------------- */

static const op_tensor schedule_in[] = {
    {"u", "L,S", OP_INPUT, 0, "coins in [0, 1), of every layer and step"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor schedule_out[] = {
    {"compete", "L,S", OP_EXACT, OP_I64, "1 where the layer competes"},
    {"load", "S", OP_EXACT, OP_I64, "how often the algorithm filled each step"},
    {"lost", "L", OP_EXACT, OP_I64, "heads that led to no competition"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param schedule_param[] = {
    {"rate", OP_REAL, "0.05", "a coin below it is a head: the layer wants to compete in that step"},
    {"cap", OP_INT, "3", "layers that compete in one step, at most"},
    {"warm_up", OP_REAL, "0.05", "the share of the steps without competition at the start"},
    {"collision", OP_CHOICE, "mended|published", "a head whose slot this layer has moved into moves on, or is lost"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *schedule_check(const op_case *c)
{
    const double rate = op_real(c, "rate"), warm_up = op_real(c, "warm_up");
    if (!(rate >= 0 && rate <= 1)) return "rate must be in [0, 1]: it is a probability";
    if (!(warm_up >= 0 && warm_up <= 1)) return "warm_up must be in [0, 1]: it is a share of the steps";
    return op_int(c, "cap") < 0 ? "cap must be at least 0" : NULL;
}

static smoe_status schedule_forward(op_case *c)
{
    const size_t L = op_dim(c, 'L'), S = op_dim(c, 'S');
    size_t *compete = op_room(L * S + S + L, sizeof *compete), *load = compete + L * S, *lost = load + S;
    smoe_status status = smoe_schedule(
        op_is(c, "collision", "mended") ? SMOE_COLLISION_MENDED : SMOE_COLLISION_PUBLISHED, L, S,
        (size_t)op_int(c, "cap"), op_real(c, "rate"), op_real(c, "warm_up"), op_in(c, "u"), compete, load, lost);
    write_counts(c, "compete", L * S, compete);
    write_counts(c, "load", S, load);
    write_counts(c, "lost", L, lost);
    free(compete);
    return status;
}

/* Multiples of 1/64: never near a rate of 0.3 or 0.05, in any precision. */
static void fill_tosses(op_case *c, op_rng *r)
{
    for (size_t k = 0; k < c->in[0].count; k++) op_in(c, "u")[k] = 0.015625 * (double)op_below(r, 64);
}

/* The rows of "HTT|HTT|HHT": H 1/4, T 3/4; repeated if there are more layers or steps than letters. */
static void toss(op_case *c, const char *rows, size_t layers, size_t steps)
{
    const size_t S = op_dim(c, 'S');
    for (size_t k = 0; k < c->in[0].count; k++)
        op_in(c, "u")[k] = rows[k / S % layers * (steps + 1) + k % S % steps] == 'H' ? 0.25 : 0.75;
}

/* The first two layers fill step 0; the third one's head there moves to step 1, where its own head falls. */
static void fill_collision(op_case *c, op_rng *r)
{
    (void)r;
    toss(c, "HTT|HTT|HHT", 3, 3);
}

/* The second layer finds step 2 full, with room on both sides: earlier comes first. */
static void fill_between(op_case *c, op_rng *r)
{
    (void)r;
    toss(c, "TTHTT|TTHTT|TTHTT", 3, 5);
}

/* Every coin is a head: each layer takes every step until the cap is reached. */
static void fill_heads(op_case *c, op_rng *r)
{
    (void)r;
    toss(c, "H", 1, 1);
}

/* Three layers fill step 0; the fourth's head there moves to step 1, where it has a head, which moves to step 2, ... */
static void fill_pile(op_case *c, op_rng *r)
{
    (void)r;
    toss(c, "HTTTTT|HTTTTT|HTTTTT|HHHTTT|HTHTHT", 5, 6);
}

/* Coins equal to the rate (1/4) are tails. */
static void fill_at_the_rate(op_case *c, op_rng *r)
{
    for (size_t k = 0; k < c->in[0].count; k++) op_in(c, "u")[k] = 0.125 * (double)(1 + op_below(r, 3));
}

static const op_spec schedule_cases[] = {
    {"small", "smoke", "L=2,S=8", "rate=0.3,cap=1", "", "a first look", fill_tosses},
    {"defaults", "core", "L=4,S=40", "", "", "two steps of warm-up, a twentieth of the coins", fill_tosses},
    {"random", "core", "L=6,S=24", "rate=0.3,cap=2,warm_up=0.25", "", "the cap is felt", fill_tosses},
    {"random-published", "core", "L=6,S=24", "rate=0.3,cap=2,warm_up=0.25,collision=published", "",
     "the same as published", fill_tosses},
    {"collision", "core", "L=3,S=3", "rate=0.5,cap=2,warm_up=0", "ScheduleCollision",
     "load 2,0,0 before the third layer's HHT: 0,1,1; as published (second CompeteSMoE code) 0,1,0", fill_collision},
    {"collision-published", "core", "L=3,S=3", "rate=0.5,cap=2,warm_up=0,collision=published", "ScheduleMended",
     "as published: 0,1,0, one counted twice, one lost", fill_collision},
    {"room-for-all", "core", "L=3,S=20", "rate=0.3,cap=3,warm_up=0.1", "", "as many as the cap: nothing moves",
     fill_tosses},
    {"one-layer", "core", "L=1,S=10", "rate=0.3,cap=1,warm_up=0", "", "a layer alone: its heads", fill_tosses},
    {"no-layer", "core", "L=0,S=5", "", "", "nobody competes", fill_tosses},
    {"no-step", "core", "L=3,S=0", "", "", "no step", fill_tosses},
    {"never", "core", "L=3,S=10", "rate=0", "", "rate 0: no coin is a head", fill_tosses},
    {"warm-up-only", "core", "L=3,S=10", "rate=0.3,warm_up=1", "", "all of it is warm-up", fill_tosses},
    {"cap-0", "core", "L=2,S=6", "rate=0.5,cap=0,warm_up=0", "", "cap 0: every head is lost", fill_tosses},
    {"pile", "adversarial", "L=5,S=6", "rate=0.5,cap=3,warm_up=0", "ScheduleCollision,ScheduleNoMove",
     "three heads in a row behind a full step: each moves the next one", fill_pile},
    {"pile-published", "adversarial", "L=5,S=6", "rate=0.5,cap=3,warm_up=0,collision=published",
     "ScheduleMended,ScheduleNoMove", "the same as published", fill_pile},
    {"starving", "adversarial", "L=6,S=12", "rate=0.5,cap=1,warm_up=0", "ScheduleNoCap,ScheduleNoMove",
     "layers x rate above the cap: late layers starve, their heads are lost (second CompeteSMoE code)", fill_tosses},
    {"between", "adversarial", "L=3,S=5", "rate=0.5,cap=1,warm_up=0", "ScheduleLater",
     "room on both sides: the earlier step is taken first", fill_between},
    {"heads", "adversarial", "L=3,S=4", "rate=0.5,cap=2,warm_up=0", "ScheduleNoCap",
     "only heads: two layers compete always, the third never", fill_heads},
    {"warm-up", "adversarial", "L=2,S=7", "rate=0.5,cap=2,warm_up=0.375", "ScheduleWarmUp",
     "0.375 x 7 is 2.6: two steps of warm-up, and coins that count from the third", fill_heads},
    {"at-the-rate", "adversarial", "L=2,S=8", "rate=0.25,cap=2,warm_up=0", "ScheduleEdge",
     "a coin equal to the rate is a tail", fill_at_the_rate},
    {"large", "large", "L=26,S=1000", "", "", "26 layers by the published rate and cap", fill_tosses},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- compete.step ------------------------------------------------------------------------------------------------- */

static const op_tensor step_in[] = {
    {"x", "T,d", OP_INPUT, OP_DIFF, "tokens"},
    {"wr", "N,d", OP_INPUT, OP_DIFF, "router weights"},
    {"br", "N", OP_INPUT, OP_DIFF, "router bias"},
    {"w1", "N,h,d", OP_INPUT, OP_DIFF, "first weights of the experts"},
    {"b1", "N,h", OP_INPUT, OP_DIFF, "first biases"},
    {"w2", "N,d,h", OP_INPUT, OP_DIFF, "second weights"},
    {"b2", "N,d", OP_INPUT, OP_DIFF, "second biases"},
    {"target", "T,d", OP_INPUT, 0, "what y should be; no gradient"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor step_out[] = {
    {"y", "T,d", OP_BOUNDED, OP_DIFF, "output of the layer"},
    {"loss", "", OP_BOUNDED, OP_DIFF, "the terms of this step by their coefficients, from zero"},
    {"task", "", OP_BOUNDED, OP_DIFF, "mean squared error of y"},
    {"distill", "", OP_BOUNDED, OP_DIFF, "distillation loss; 0 without competition"},
    {"diversity", "", OP_BOUNDED, OP_DIFF, "diversity loss of the winners; 0 without competition and in version 1"},
    {"balance", "", OP_BOUNDED, OP_DIFF, "balancing loss on s, without competition on r"},
    {"zloss", "", OP_BOUNDED, OP_DIFF, "z-loss of r; 0 with competition and in version 1"},
    {"index", "T,K", OP_DECISION, OP_I64, "the winners, without competition the router's choice"},
    {"weight", "T,K", OP_BOUNDED, OP_DIFF, "their weights, in the order of index"},
    {"margin", "T", OP_STAGE, OP_MARGIN, "K-th less (K+1)-th score, +inf if K = N"},
    {"r", "T,N", OP_STAGE, 0, "router logits"},
    {"s", "T,N", OP_STAGE, 0, "responses, with the router's share if mix is not 0; zeros without competition"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param step_param[] = {
    {"k", OP_INT, "2", "experts a token"},
    {"version", OP_CHOICE, "2|1", "of CompeteSMoE: which terms, and the defaults of response and weights"},
    {"compete", OP_CHOICE, "yes|no", "a step with competition, or one by the router"},
    {"order", OP_CHOICE, "topk-softmax|softmax-topk|softmax-topk-renorm", "the router's weights, for compete=no"},
    {"activation", OP_CHOICE, "relu|gelu", "inside the experts"},
    {"response", OP_CHOICE, "default|softplus|norm|relu|sigmoid|silu", "default: softplus (2), norm (1)"},
    {"weights", OP_CHOICE, "default|ratio|softmax|sigmoid-ratio", "of the winners; default: ratio (2), softmax (1)"},
    {"theta", OP_REAL, "0.125", "weight of the winners' term of version 2's distillation"},
    {"detach", OP_CHOICE, "yes|no", "is the distillation target a constant?"},
    {"mix", OP_REAL, "0.0", "share of the router's logits in the responses"},
    {"mean", OP_CHOICE, "pairs|square", "divide the diversity loss by K (K - 1), or by K^2"},
    {"count", OP_CHOICE, "all|first", "the balancing loss counts all K choices, or the first"},
    {"c_task", OP_REAL, "1.0", "coefficient of task in loss"},
    {"c_distill", OP_REAL, "0.01", "coefficient of distill"},
    {"c_diversity", OP_REAL, "0.01", "coefficient of diversity"},
    {"c_balance", OP_REAL, "0.01", "coefficient of balance"},
    {"c_zloss", OP_REAL, "0.001", "coefficient of zloss"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *step_check(const op_case *c)
{
    if (op_dim(c, 'T') < 1) return "T must be at least 1: the losses are means over tokens";
    if (op_dim(c, 'd') < 1 || op_dim(c, 'h') < 1) return "d and h must be at least 1";
    return compete_check_winners(c);
}

static smoe_response response_of(const op_case *c)
{
    if (op_is(c, "response", "softplus")) return SMOE_RESPONSE_SOFTPLUS;
    if (op_is(c, "response", "norm")) return SMOE_RESPONSE_NORM;
    if (op_is(c, "response", "relu")) return SMOE_RESPONSE_RELU;
    if (op_is(c, "response", "sigmoid")) return SMOE_RESPONSE_SIGMOID;
    if (op_is(c, "response", "silu")) return SMOE_RESPONSE_SILU;
    return op_is(c, "version", "2") ? SMOE_RESPONSE_SOFTPLUS : SMOE_RESPONSE_NORM;
}

static smoe_winner_weights weights_of(const op_case *c)
{
    if (op_is(c, "weights", "ratio")) return SMOE_WEIGHTS_RATIO;
    if (op_is(c, "weights", "softmax")) return SMOE_WEIGHTS_SOFTMAX;
    if (op_is(c, "weights", "sigmoid-ratio")) return SMOE_WEIGHTS_SIGMOID_RATIO;
    return op_is(c, "version", "2") ? SMOE_WEIGHTS_RATIO : SMOE_WEIGHTS_SOFTMAX;
}

static smoe_compete_options options_of(const op_case *c)
{
    return (smoe_compete_options){
        .version = op_is(c, "version", "2") ? SMOE_VERSION_2 : SMOE_VERSION_1,
        .response = response_of(c),
        .weights = weights_of(c),
        .mix = op_real(c, "mix"),
        .count = op_is(c, "count", "all") ? SMOE_COUNT_ALL : SMOE_COUNT_FIRST,
        .target = op_is(c, "detach", "yes") ? SMOE_TARGET_DETACHED : SMOE_TARGET_ATTACHED,
        .diversity = op_is(c, "mean", "pairs") ? SMOE_DIVERSITY_PAIRS : SMOE_DIVERSITY_SQUARE,
        .theta = op_real(c, "theta"),
        .c_task = op_real(c, "c_task"),
        .c_distill = op_real(c, "c_distill"),
        .c_diversity = op_real(c, "c_diversity"),
        .c_balance = op_real(c, "c_balance"),
        .c_zloss = op_real(c, "c_zloss"),
    };
}

static smoe_status step_run(op_case *c, compete_inside *m, const smoe_compete_out *out)
{
    const smoe_layer_shape shape = compete_shape(c);
    const smoe_compete_options opt = options_of(c);
    const smoe_layer_in in = compete_inputs(c);
    const double *target = op_in(c, "target");
    return op_is(c, "compete", "yes")
               ? smoe_train_compete(&shape, &opt, &in, target, out, op_out(c, "task"), &m->kept)
               : smoe_train_router(&shape, &opt, &in, target, out, op_out(c, "task"), &m->router);
}

static smoe_status step_forward(op_case *c)
{
    const smoe_layer_shape shape = compete_shape(c);
    compete_inside m = compete_inside_new(&shape);
    size_t *index = op_room(shape.T * shape.K, sizeof *index);
    const smoe_compete_out out = compete_outputs(c, index);
    smoe_status status = step_run(c, &m, &out);
    op_write_index(c, "index", shape.T * shape.K, index);
    free(index);
    compete_inside_free(&m);
    return status;
}

/* The forward once more, for what lies between; it gives the outputs that are there already. */
static smoe_status step_vjp(op_case *c)
{
    const smoe_layer_shape shape = compete_shape(c);
    const smoe_compete_options opt = options_of(c);
    const smoe_layer_in in = compete_inputs(c);
    compete_inside m = compete_inside_new(&shape);
    size_t *index = op_room(shape.T * shape.K, sizeof *index);
    const smoe_compete_out out = compete_outputs(c, index);
    const smoe_compete_cot cot = compete_cotangents(c);
    const smoe_layer_grad grad = compete_gradients(c);
    const double *target = op_in(c, "target"), dtask = *op_cot(c, "task");
    smoe_status status = step_run(c, &m, &out);
    if (status == SMOE_OK)
        status = op_is(c, "compete", "yes")
                     ? smoe_train_compete_vjp(&shape, &opt, &in, target, &out, &m.kept, &cot, dtask, &grad, m.work)
                     : smoe_train_router_vjp(&shape, &opt, &in, target, &out, &m.router, &cot, dtask, &grad, m.work);
    free(index);
    compete_inside_free(&m);
    return status;
}

/* No cotangent but these numbers on the scalars: what a term teaches is not drowned by the others. */
static void scalars_only(op_case *c, double loss, double task, double distill, double diversity, double balance,
                         double zloss)
{
    for (size_t k = 0; k < op_dim(c, 'T') * op_dim(c, 'd'); k++) op_cot(c, "y")[k] = 0;
    for (size_t k = 0; k < op_dim(c, 'T') * op_dim(c, 'K'); k++) op_cot(c, "weight")[k] = 0;
    *op_cot(c, "loss") = loss;
    *op_cot(c, "task") = task;
    *op_cot(c, "distill") = distill;
    *op_cot(c, "diversity") = diversity;
    *op_cot(c, "balance") = balance;
    *op_cot(c, "zloss") = zloss;
}

/* As in training: one number is differentiated, the total. */
static void fill_step_total(op_case *c, op_rng *r)
{
    compete_fill_apart(c, r);
    scalars_only(c, 1, 0, 0, 0, 0, 0);
}

static void fill_step_task(op_case *c, op_rng *r)
{
    compete_fill_apart(c, r);
    scalars_only(c, 0, 1, 0, 0, 0, 0);
}

/* Experts that answer (8 + i)/32 or minus that whatever the token, logits 1 apart, and a target far below: the task
 * prefers the negative one of two winners, by more than 16-bit storage can hide. */
static void fill_step_pull(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), d = op_dim(c, 'd'), h = op_dim(c, 'h');
    double *level = op_room(T * N, sizeof *level);
    op_fill_default(c, r);
    op_fill_apart(r, 1, T, N, level);
    for (size_t k = 0; k < T * d; k++) op_in(c, "x")[k] = k % d < N ? level[k / d * N + k % d] : 0.5;
    for (size_t k = 0; k < N * d; k++) op_in(c, "wr")[k] = k / d == k % d;
    for (size_t i = 0; i < N; i++) op_in(c, "br")[i] = 0;
    for (size_t k = 0; k < N * d * h; k++) op_in(c, "w2")[k] = 0;
    for (size_t k = 0; k < N * d; k++) op_in(c, "b2")[k] = (k / d % 2 ? -0.03125 : 0.03125) * (double)(8 + k / d);
    for (size_t k = 0; k < T * d; k++) op_in(c, "target")[k] = -8;
    scalars_only(c, 0, 16, 0, 0, 0, 0);
    free(level);
}

static void fill_step_distill(op_case *c, op_rng *r)
{
    compete_fill_apart(c, r);
    scalars_only(c, 0, 0, 16, 0, 0, 0);
}

static void fill_step_diversity(op_case *c, op_rng *r)
{
    compete_fill_apart(c, r);
    scalars_only(c, 0, 0, 0, 1, 0, 0);
}

static void fill_step_balance(op_case *c, op_rng *r)
{
    compete_fill_ranked(c, r, false);
    scalars_only(c, 0, 0, 0, 0, 1, 0);
}

static void fill_step_opposite(op_case *c, op_rng *r)
{
    compete_fill_ranked(c, r, true);
    scalars_only(c, 0, 0, 0, 0, 1, 0);
}

static void fill_step_zloss(op_case *c, op_rng *r)
{
    compete_fill_apart(c, r);
    scalars_only(c, 0, 0, 0, 0, 0, 1);
}

static void fill_step_collapse(op_case *c, op_rng *r)
{
    compete_fill_ranked(c, r, false);
    scalars_only(c, 1, 0, 0, 0, 0, 0);
}

/* Experts as after sparse upcycling, under the total alone. */
static void fill_step_copies(op_case *c, op_rng *r)
{
    compete_fill_copies(c, r);
    scalars_only(c, 1, 0, 0, 0, 0, 0);
}

/* Every term at full size in the total. */
#define WHOLE "c_distill=1,c_diversity=1,c_balance=1,c_zloss=1"

static const op_spec step_cases[] = {
    {"small", "smoke", "T=4,d=4,N=3,h=6", "k=2", "", "a first look", NULL},
    {"small-router", "smoke", "T=4,d=4,N=3,h=6", "k=2,compete=no", "", "a first look, without competition", NULL},
    {"small-v1", "smoke", "T=4,d=4,N=3,h=6", "k=2,version=1", "", "a first look at version 1", NULL},
    {"random", "core", "T=8,d=8,N=4,h=12", "k=2", "MissingBias", "random weights, defaults", NULL},
    {"random-router", "core", "T=8,d=8,N=4,h=12", "k=2,compete=no", "", "the same by the router", NULL},
    {"random-v1", "core", "T=8,d=8,N=4,h=12", "k=2,version=1", "", "version 1, defaults", NULL},
    {"random-v1-router", "core", "T=8,d=8,N=4,h=12", "k=2,version=1,compete=no", "", "version 1 by the router", NULL},
    {"gelu", "core", "T=6,d=6,N=4,h=8", "k=2,activation=gelu," WHOLE, "", "GELU experts as in version 2's code", NULL},
    {"attached", "core", "T=6,d=6,N=4,h=8", "k=2,detach=no," WHOLE, "", "distillation trains the experts too", NULL},
    {"attached-v1", "core", "T=6,d=6,N=4,h=8", "k=2,version=1,detach=no," WHOLE, "", "as the first code has it", NULL},
    {"square", "core", "T=6,d=6,N=4,h=8", "k=3,mean=square," WHOLE, "", "diversity over K^2", NULL},
    {"first", "core", "T=6,d=6,N=4,h=8", "k=2,count=first," WHOLE, "LblCountAll", "load from first choices", NULL},
    {"theta", "core", "T=6,d=6,N=4,h=8", "k=2,theta=2," WHOLE, "DistillNoTheta,DistillNoWinners",
     "the winners' term dominates", NULL},
    {"norm", "core", "T=6,d=6,N=4,h=8", "k=2,response=norm," WHOLE, "", "version 2's terms on norms", NULL},
    {"relu", "core", "T=6,d=6,N=4,h=8", "k=2,response=relu," WHOLE, "", "an ablation of version 2's code",
     compete_fill_apart},
    {"sigmoid", "core", "T=6,d=6,N=4,h=8", "k=2,response=sigmoid," WHOLE, "ResponseSum",
     "an ablation of version 2's code", NULL},
    {"silu", "core", "T=6,d=6,N=4,h=8", "k=2,response=silu,weights=sigmoid-ratio," WHOLE, "",
     "responses of either sign: weights by their sigmoids", NULL},
    {"softmax", "core", "T=6,d=6,N=4,h=8", "k=2,weights=softmax," WHOLE, "", "version 2 with version 1's weights",
     compete_fill_apart},
    {"sigmoid-ratio", "core", "T=6,d=6,N=4,h=8", "k=2,weights=sigmoid-ratio," WHOLE, "",
     "an option of version 2's code", compete_fill_apart},
    {"softplus-v1", "core", "T=6,d=6,N=4,h=8", "k=2,version=1,response=softplus,weights=ratio," WHOLE, "",
     "version 1's terms on version 2's responses", NULL},
    {"mix-v1", "core", "T=6,d=6,N=4,h=8", "k=2,version=1,mix=0.5," WHOLE, "",
     "combine_gate of six scripts of the first code: the task reaches the router", compete_fill_apart},
    {"mix-v1-attached", "core", "T=6,d=6,N=4,h=8", "k=2,version=1,mix=0.5,detach=no," WHOLE, "",
     "... which is then part of its own target", compete_fill_apart},
    {"top-1", "core", "T=6,d=6,N=4,h=8", "k=1," WHOLE, "TopOneZeroGrad", "one winner: weight 1, no diversity", NULL},
    {"top-1-v1", "core", "T=6,d=6,N=4,h=8", "k=1,version=1," WHOLE, "TopOneZeroGrad", "one winner: weight 1", NULL},
    {"all-win", "core", "T=5,d=6,N=3,h=8", "k=3," WHOLE, "", "K = N", NULL},
    {"one-expert", "core", "T=4,d=5,N=1,h=6", "k=1," WHOLE, "", "N = 1: a feed-forward layer", NULL},
    {"no-task", "core", "T=6,d=6,N=4,h=8", "k=2,c_task=0," WHOLE, "", "the regularisers alone in the total", NULL},
    {"softmax-topk-router", "core,adversarial", "T=6,d=6,N=4,h=8", "k=2,compete=no,order=softmax-topk," WHOLE, "NormTopK",
     "Switch's order",
     NULL},
    {"renorm-router", "core,adversarial", "T=6,d=6,N=4,h=8",
     "k=2,compete=no,order=softmax-topk-renorm,activation=gelu," WHOLE, "GeluTanh",
     "the router of version 2's code", NULL},
    {"total", "core", "T=8,d=8,N=4,h=8",
     "k=2," WHOLE, "DiversitySquare,PermutedScores,RequiresGradSwitch,RouterTermsToo",
     "cotangent on the total alone; a layer whose input needs no gradient competes all the same", fill_step_total},
    {"total-v1", "core", "T=8,d=8,N=4,h=8", "k=2,version=1," WHOLE, "PermutedScores,RequiresGradSwitch,TargetFull",
     "the same for version 1", fill_step_total},
    {"total-router", "core", "T=8,d=8,N=4,h=8", "k=2,compete=no," WHOLE, "StaleLoss",
     "a step by the router has no term of the competition before it (first CompeteSMoE code)", fill_step_total},
    {"total-v1-router", "core", "T=8,d=8,N=4,h=8", "k=2,version=1,compete=no," WHOLE, "StaleLoss",
     "the same for version 1, which has no z-loss either", fill_step_total},
    {"copies", "core", "T=4,d=4,N=4,h=6", "k=2," WHOLE, "ties,TieOrder",
     "experts are copies (sparse upcycling): all tie, 0 and 1 win, diversity 1 with gradient 0", fill_step_copies},
    {"copies-v1", "core", "T=4,d=4,N=4,h=6", "k=2,version=1," WHOLE, "ties,TieOrder", "the same by norms",
     fill_step_copies},
    {"copies-router", "core", "T=4,d=4,N=4,h=6", "k=2,compete=no," WHOLE, "ties,TieOrder",
     "a router without opinion: all logits tie", fill_step_copies},
    {"collapse", "core", "T=8,d=8,N=8,h=8", "k=2," WHOLE,
     "LblDoubleSoftmax,LblProbOverTK,LblTopKNorm,LblFirstChoiceOnly,LblConstant,DiversitySquare,ZeroTokenExpert",
     "every token's winners are the same two, and alike; six experts without tokens", fill_step_collapse},
    {"opposite", "core", "T=8,d=8,N=4,h=8", "k=2", "LblPerSequence",
     "two halves collapsed on opposite experts: balance 1 for the batch", fill_step_opposite},
    {"apart", "adversarial", "T=8,d=8,N=4,h=8", "k=2",
     "WeightsSoftmaxScores,ResponseNorm,DiversitySquare,PermutedScores,MisalignedExperts,SwappedWeights",
     "decisions that no precision doubts", compete_fill_apart},
    {"apart-v1", "adversarial", "T=8,d=8,N=4,h=8", "k=2,version=1",
     "CompeteNormalisedWeights,ResponseSoftplus,PermutedScores,MisalignedExperts,MissingCoefficient",
     "the same for version 1",
     compete_fill_apart},
    {"above-20", "adversarial", "T=4,d=4,N=4,h=6", "k=2", "SoftplusThreshold",
     "outputs where PyTorch's softplus gives up", compete_fill_above_20},
    {"task", "adversarial", "T=8,d=8,N=4,h=8", "k=2", "WeightsSoftmaxScores,CombineGradNone,RouterTaskGradient,TaskSum",
     "the task alone: the router's gradient is exactly 0, the experts' has a part through the weights", fill_step_task},
    {"task-v1", "adversarial", "T=8,d=8,N=4,h=8", "k=2,version=1",
     "CompeteNormalisedWeights,CombineGradNone,RouterTaskGradient,TaskOverTokens",
     "the same for version 1", fill_step_task},
    {"task-mix", "adversarial", "T=8,d=8,N=4,h=8", "k=2,version=1,mix=0.5", "MixGradNone",
     "with the logits mixed in, the task trains the router", fill_step_task},
    {"pull-mix", "adversarial", "T=8,d=8,N=4,h=8", "k=2,version=1,mix=0.5", "MixGradNone,MixNone,MixSum",
     "a task that prefers one winner trains the router through its share (combine_gate of the first CompeteSMoE code)",
     fill_step_pull},
    {"pull-mix-quarter", "adversarial", "T=8,d=8,N=4,h=8", "k=2,version=1,mix=0.25", "MixSwapped,MixGradNone",
     "and a quarter of it: the share is the router's, not the response's", fill_step_pull},
    {"task-router", "adversarial", "T=8,d=8,N=4,h=8", "k=2,compete=no",
     "CombineGradNone,DoubleSoftmaxWeights,TaskDetached",
     "the task alone reaches the router through the weights", fill_step_task},
    {"distill", "adversarial", "T=8,d=8,N=4,h=8", "k=2,theta=1",
     "TargetNotDetached,TargetMasked,DistillWinnersSum,PermutedScores",
     "distillation alone, target detached: the experts' gradients are exactly 0", fill_step_distill},
    {"distill-attached", "adversarial", "T=8,d=8,N=4,h=8", "k=2,theta=1,detach=no", "TargetDetached,TargetMasked",
     "and not 0 when it is attached", fill_step_distill},
    {"distill-v1", "adversarial", "T=8,d=8,N=4,h=8", "k=2,version=1",
     "TargetNotDetached,TargetFull,PermutedScores,DistillExpertsSum",
     "version 1's, detached", fill_step_distill},
    {"distill-v1-attached", "adversarial", "T=8,d=8,N=4,h=8", "k=2,version=1,detach=no",
     "TargetDetached,TargetFull,RouterMasked",
     "version 1's, attached: it trains the winners alone", fill_step_distill},
    {"diversity", "adversarial", "T=8,d=8,N=4,h=8", "k=2", "DiversitySquare,DiversityGram",
     "diversity alone: the winners' gradients, and 1/2 of them over K^2", fill_step_diversity},
    {"diversity-over-square", "adversarial", "T=8,d=8,N=4,h=8", "k=2,mean=square", "DiversityPairs,DiversitySum",
     "1/2 of it is meant", fill_step_diversity},
    {"balance", "adversarial", "T=8,d=8,N=4,h=8", "k=2",
     "LblDoubleSoftmax,LblProbOverTK,LblTopKNorm,LblFirstChoiceOnly,LblGrad",
     "all tokens want the same experts; balance alone: its gradient reaches all experts through P", fill_step_balance},
    {"balance-v1", "adversarial", "T=8,d=8,N=4,h=8", "k=2,version=1",
     "LblDoubleSoftmax,LblProbOverTK,LblTopKNorm,LblFirstChoiceOnly,LblGrad", "the same on norms", fill_step_balance},
    {"balance-router", "adversarial", "T=8,d=8,N=4,h=8", "k=2,compete=no",
     "LblDoubleSoftmax,LblProbOverTK,LblTopKNorm,LblFirstChoiceOnly,LblGrad", "the same on the logits",
     fill_step_balance},
    {"zloss-router", "adversarial", "T=8,d=8,N=4,h=8", "k=2,compete=no", "ZLossInput,NormTopK",
     "z-loss alone", fill_step_zloss},
    {"balance-first", "adversarial", "T=8,d=8,N=4,h=8", "k=2,count=first", "LblCountAll",
     "balance alone, where first choices are what is meant", fill_step_balance},
    {"large", "large", "T=64,d=64,N=8,h=128", "k=2", "", "a layer of some size", NULL},
    {"large-v1", "large", "T=64,d=64,N=8,h=128", "k=2,version=1", "", "the same for version 1", NULL},
    {"large-router", "large", "T=64,d=64,N=8,h=128", "k=2,compete=no", "", "the same without competition", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

const op_record op_compete_step[] = {
    {"compete.balance", "Balance of a competition", "C.10",
     "loss = N sum_i f_i P_i,  f of the winners TopK(s),  P the mean of softmax(s)  (balance.switch on the responses)",
     "CompeteSMoE v2, its code (first choices, per sequence); CompeteSMoE v1, its code (P over T K)",
     "ref/compete.c: smoe_compete_balance, smoe_compete_balance_vjp, smoe_compete_fractions", balance_in, balance_out,
     balance_param, balance_cases, balance_check, balance_forward, balance_vjp},
    {"compete.mix", "Router's logits mixed into the responses", "C.11", "s = (1 - share) response(o) + share r",
     "combine_gate of CompeteSMoE v1's code, six scripts (read and run); no paper",
     "ref/compete.c: smoe_mix_scores, smoe_mix_scores_vjp", mix_in, mix_out, mix_param, mix_cases, mix_check,
     mix_forward, mix_vjp},
    {"compete.lambda", "Probability of a competition", "C.12",
     "lambda = 2 / (2 + sqrt(t + 1)),  compete = 1 if u < lambda else 0",
     "CompeteSMoE v1, its code; that lambda(t) exists: a figure of the paper; the paper's form is not known",
     "ref/compete.c: smoe_compete_lambda", lambda_in, lambda_out, NULL, lambda_cases, NULL, lambda_forward, NULL},
    {"compete.schedule", "Which layers compete when", "C.13",
     "layer by layer: a coin below rate takes its step; if cap layers compete there, the nearest free one before, "
     "else the nearest after",
     "CompeteSMoE v2: rate and cap by a review, the algorithm by its code; collision=mended is ours",
     "ref/compete.c: smoe_schedule, smoe_schedule_layer_mended, smoe_schedule_layer_published", schedule_in,
     schedule_out, schedule_param, schedule_cases, schedule_check, schedule_forward, NULL},
    {"compete.step", "One training step of CompeteSMoE", "C.1 C.2 C.3 C.4 C.5 C.6 C.7 C.8 C.9 C.10 C.11 C.14 C.15",
     "compete=yes: loss = c_task task + c_distill distill + c_diversity diversity + c_balance balance(s); "
     "no: c_task task + c_balance balance(r) + c_zloss zloss;  task = mean (y - target)^2",
     "CompeteSMoE v1 and v2: the order of a step and which terms it has by their codes; terms as said at each; "
     "the task is ours",
     "ref/compete.c: smoe_train_compete, smoe_train_router, each with _vjp", step_in, step_out, step_param, step_cases,
     step_check, step_forward, step_vjp},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
