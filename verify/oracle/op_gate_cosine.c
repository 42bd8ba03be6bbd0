/* Operations of chapter G that compare directions, and StableMoE and DeepSeek-V3: spec/02-gate.md. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gate.h"
#include "op.h"

/* An input of indices; a negative one becomes too large to be one. */
static size_t *given_index(const op_case *c, const char *name, size_t n)
{
    size_t *index = op_room(n, sizeof *index);
    for (size_t a = 0; a < n; a++) {
        const int64_t v = op_in_i64(c, name)[a];
        index[a] = v < 0 ? SIZE_MAX : (size_t)v;
    }
    return index;
}

static const char *check_selection(const op_case *c)
{
    if (op_dim(c, 'N') < 1) return "N must be at least 1: there is no expert";
    if (op_int(c, "k") < 1) return "k must be at least 1: a token has at least one expert";
    return op_int(c, "k") > (long)op_dim(c, 'N')
               ? "k must be at most N: a token cannot have more experts than there are"
               : NULL;
}

/* Row t times 2^((3 t) mod 7 - 3): lengths from 1/8 to 8. */
static void stretch(size_t rows, size_t d, double *x)
{
    for (size_t t = 0; t < rows; t++)
        for (size_t k = 0; k < d; k++) x[t * d + k] *= ldexp(1, (int)(3 * t % 7) - 3);
}

/* --- gate.xmoe ---------------------------------------------------------------------------------------------------- */

static const op_tensor xmoe_in[] = {
    {"x", "T,d", OP_INPUT, OP_DIFF, "tokens"},
    {"w", "c,d", OP_INPUT, OP_DIFF, "reduction to the width of the embeddings"},
    {"e", "N,c", OP_INPUT, OP_DIFF, "the experts' embeddings"},
    {"tau", "", OP_INPUT, OP_DIFF, "temperature, above 0"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor xmoe_out[] = {
    {"index", "T,K", OP_DECISION, OP_I64, "the K experts of each token, largest s first, lowest index among equals"},
    {"weight", "T,K", OP_BOUNDED, OP_DIFF, "weight of each of them, in the order of index"},
    {"margin", "T", OP_STAGE, OP_MARGIN, "K-th minus (K+1)-th largest s, +inf if K = N"},
    {"s", "T,N", OP_STAGE, 0, "scores: norm times the cosine of W x and e"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param xmoe_param[] = {
    {"k", OP_INT, "1", "experts a token"},
    {"gate", OP_CHOICE, "softmax|sigmoid", "weight: softmax(s/tau) of all N, at the chosen; or sigmoid(s/tau)"},
    {"input", OP_CHOICE, "normalised|raw", "W x divided by its length, or as it is (the public code)"},
    {"norm", OP_REAL, "1.0", "a factor on every score, above 0"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *xmoe_check(const op_case *c)
{
    if (op_dim(c, 'd') < 1 || op_dim(c, 'c') < 1) return "d and c must be at least 1: there is nothing to compare";
    if (!(op_real(c, "norm") > 0)) return "norm must be above 0";
    return check_selection(c);
}

/* The arguments of the library, its outputs those of the case and the rest in one block, to be freed. */
static double *xmoe_open(const op_case *c, smoe_xmoe_in *in, smoe_xmoe_out *out, size_t *index)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), w = op_dim(c, 'c');
    double *block = op_room(2 * T * w + T + N * w + N + 2 * T * N, sizeof *block);
    double *z = block, *u = z + T * w, *zn = u + T * w, *v = zn + T, *en = v + N * w, *q = en + N, *p = q + T * N;
    *in = (smoe_xmoe_in){op_is(c, "gate", "softmax") ? SMOE_XMOE_SOFTMAX : SMOE_XMOE_SIGMOID,
                         op_is(c, "input", "raw") ? SMOE_COSINE_RAW : SMOE_COSINE_NORMALISED,
                         T,
                         op_dim(c, 'd'),
                         w,
                         N,
                         op_dim(c, 'K'),
                         op_real(c, "norm"),
                         *op_in(c, "tau"),
                         op_in(c, "x"),
                         op_in(c, "w"),
                         op_in(c, "e")};
    *out = (smoe_xmoe_out){index, op_out(c, "weight"), op_out(c, "margin"), op_out(c, "s"), z, q, p, {zn, u, en, v}};
    return block;
}

static smoe_status xmoe_forward(op_case *c)
{
    const size_t n = op_dim(c, 'T') * op_dim(c, 'K');
    size_t *index = op_room(n, sizeof *index);
    smoe_xmoe_in in;
    smoe_xmoe_out out;
    double *block = xmoe_open(c, &in, &out, index);
    const smoe_status status = smoe_gate_xmoe(&in, &out);
    op_write_index(c, "index", n, index);
    free(index);
    free(block);
    return status;
}

static smoe_status xmoe_vjp(op_case *c)
{
    smoe_xmoe_in in;
    smoe_xmoe_out out;
    size_t *index = op_room(op_dim(c, 'T') * op_dim(c, 'K'), sizeof *index);
    double *block = xmoe_open(c, &in, &out, index);
    double *work = op_room(2 * in.T * in.N + 2 * in.T * in.c + in.N * in.c, sizeof *work);
    const smoe_xmoe_grad grad = {op_grad(c, "x"), op_grad(c, "w"), op_grad(c, "e"), op_grad(c, "tau")};
    smoe_status status = smoe_gate_xmoe(&in, &out); /* what it keeps is not among the outputs */
    if (status == SMOE_OK) status = smoe_gate_xmoe_vjp(&in, &out, op_cot(c, "weight"), &grad, work);
    free(index);
    free(block);
    free(work);
    return status;
}

static void fill_xmoe(op_case *c, op_rng *r)
{
    op_fill_default(c, r);
    *op_in(c, "tau") = 0.25;
}

/* tau = 1/16: the best expert has nearly all of the weight. */
static void fill_xmoe_sharp(op_case *c, op_rng *r)
{
    op_fill_default(c, r);
    *op_in(c, "tau") = 0.0625;
}

/* Tokens of lengths 1/8 to 8, which a cosine does not see. */
static void fill_xmoe_lengths(op_case *c, op_rng *r)
{
    fill_xmoe(c, r);
    stretch(op_dim(c, 'T'), op_dim(c, 'd'), op_in(c, "x"));
}

/* Embeddings of lengths 1/8 to 8, which neither form sees. */
static void fill_xmoe_embeddings(op_case *c, op_rng *r)
{
    fill_xmoe(c, r);
    stretch(op_dim(c, 'N'), op_dim(c, 'c'), op_in(c, "e"));
}

/* Tokens, embeddings and the reduction along axes: cosines of 1 and 0, and a gradient of 1 on each weight, so that all
 * tokens pull the temperature the same way. */
static void fill_xmoe_axes(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), w = op_dim(c, 'c'), d = op_dim(c, 'd');
    (void)r;
    for (size_t k = 0; k < w && k < d; k++) op_in(c, "w")[k * d + k] = 1;
    for (size_t i = 0; i < N; i++) op_in(c, "e")[i * w + i % w] = 2;
    for (size_t t = 0; t < T; t++) op_in(c, "x")[t * d + t % w] = 4;
    for (size_t t = 0; t < T; t++) op_cot(c, "weight")[t] = 1;
    *op_in(c, "tau") = 1;
}

/* All embeddings are copies of one. */
static void fill_xmoe_copies(op_case *c, op_rng *r)
{
    const size_t N = op_dim(c, 'N'), w = op_dim(c, 'c');
    fill_xmoe(c, r);
    for (size_t k = w; k < N * w; k++) op_in(c, "e")[k] = op_in(c, "e")[k % w];
}

/* Token 0 is 0 and so has no direction; nobody asks for its gradient, which conventions differ about. */
static void fill_xmoe_zero_token(op_case *c, op_rng *r)
{
    fill_xmoe(c, r);
    memset(op_in(c, "x"), 0, op_dim(c, 'd') * sizeof(double));
    memset(op_cot(c, "weight"), 0, op_dim(c, 'K') * sizeof(double));
}

static const op_spec xmoe_cases[] = {
    {"small", "smoke", "T=3,d=6,c=4,N=4", "", "", "a first look", fill_xmoe},
    {"random", "core", "T=12,d=8,c=4,N=6", "", "", "the paper's top 1", fill_xmoe},
    {"top-2", "core", "T=12,d=8,c=4,N=6", "k=2", "", "two of six; the weights are not renormalised", fill_xmoe},
    {"sigmoid", "core", "T=12,d=8,c=4,N=6", "k=2,gate=sigmoid", "", "the paper's other gate", fill_xmoe},
    {"raw", "core", "T=12,d=8,c=4,N=6", "k=2,input=raw", "", "as in the public code: the input is not normalised",
     fill_xmoe},
    {"raw-sigmoid", "core", "T=8,d=8,c=4,N=6", "k=1,gate=sigmoid,input=raw", "", "both other choices", fill_xmoe},
    {"norm", "core", "T=12,d=8,c=4,N=6", "k=2,norm=1.5", "", "embeddings of length 1.5", fill_xmoe},
    {"all-chosen", "core", "T=5,d=6,c=3,N=4", "k=4", "", "K = N: the softmax of all, in the order of the scores",
     fill_xmoe},
    {"one-expert", "core", "T=4,d=6,c=3,N=1", "", "", "N = 1: weight 1, and no gradient", fill_xmoe},
    {"one-token", "core", "T=1,d=6,c=4,N=5", "k=2", "", "a batch of one", fill_xmoe},
    {"no-tokens", "core", "T=0,d=4,c=3,N=4", "", "", "no tokens: all gradients exactly 0", fill_xmoe},
    {"lengths", "adversarial", "T=14,d=8,c=4,N=6", "k=2", "UnnormalisedCosine",
     "tokens of lengths 1/8 to 8: a cosine does not see them, a product does; XMoE's own public code",
     fill_xmoe_lengths},
    {"lengths-sigmoid", "adversarial", "T=14,d=8,c=4,N=6", "k=2,gate=sigmoid", "UnnormalisedCosine",
     "the same for the other gate", fill_xmoe_lengths},
    {"lengths-raw", "adversarial", "T=14,d=8,c=4,N=6", "k=2,input=raw", "NormalisedInput",
     "and the other way about: here the length of a token is meant to count", fill_xmoe_lengths},
    {"embeddings", "adversarial", "T=10,d=8,c=4,N=7", "k=2", "UnnormalisedCosine",
     "embeddings of lengths 1/8 to 8: they are directions, too", fill_xmoe_embeddings},
    {"sharp", "adversarial", "T=10,d=8,c=4,N=6", "k=2", "DoubleSoftmaxWeights,MissingTemperature,NormTopK",
     "tau = 1/16: weights near 1, which a softmax of probabilities cannot give, nor one without temperature",
     fill_xmoe_sharp},
    {"sharp-sigmoid", "adversarial", "T=10,d=8,c=4,N=6", "k=2,gate=sigmoid", "MissingTemperature",
     "tau = 1/16 for the sigmoid", fill_xmoe_sharp},
    {"norm-sharp", "adversarial", "T=10,d=8,c=4,N=6", "k=2,norm=1.5", "MissingNorm,NormTopK",
     "a factor of 1.5 that must not be lost", fill_xmoe_sharp},
    {"axes", "adversarial", "T=8,d=4,c=4,N=4", "gate=sigmoid", "TemperatureDetached",
     "cosines of 1 and 0: the gradient of the temperature is a sum without cancellation, and not 0", fill_xmoe_axes},
    {"copies", "adversarial", "T=6,d=6,c=4,N=5", "k=2", "ties,TieOrder",
     "all embeddings alike: experts 0 and 1, weights 1/5", fill_xmoe_copies},
    {"zero-token", "adversarial", "T=5,d=6,c=4,N=4", "k=2", "ties,ZeroNorm",
     "a token of zeros has no direction: its scores are 0, not NaN", fill_xmoe_zero_token},
    {"large", "large", "T=64,d=64,c=8,N=16", "k=2", "", "sums of 64 terms, sixteen experts", fill_xmoe},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- gate.perturbed ----------------------------------------------------------------------------------------------- */

static const op_tensor perturbed_in[] = {
    {"x", "T,d", OP_INPUT, OP_DIFF, "tokens"},
    {"beta", "N,d", OP_INPUT, OP_DIFF, "the experts' embeddings"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor perturbed_out[] = {
    {"r", "T,N", OP_BOUNDED, OP_DIFF, "router logits, between -1 and 1"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param perturbed_param[] = {
    {"tau1", OP_REAL, "0.125", "added to the length of beta, at least 0"},
    {"tau2", OP_REAL, "0.125", "added to the length of x, at least 0"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *perturbed_check(const op_case *c)
{
    if (op_dim(c, 'd') < 1) return "d must be at least 1: a token has no coordinates";
    if (op_dim(c, 'N') < 1) return "N must be at least 1: there is no expert";
    return op_real(c, "tau1") < 0 || op_real(c, "tau2") < 0 ? "tau1 and tau2 must be at least 0" : NULL;
}

static double *perturbed_open(const op_case *c, smoe_perturbed_kept *kept)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), d = op_dim(c, 'd');
    double *block = op_room((T + N) * (d + 1), sizeof *block);
    *kept = (smoe_perturbed_kept){block, block + T, block + T * (d + 1), block + T * (d + 1) + N};
    return block;
}

static smoe_status perturbed_forward(op_case *c)
{
    smoe_perturbed_kept kept;
    double *block = perturbed_open(c, &kept);
    const smoe_status status =
        smoe_gate_perturbed(op_dim(c, 'T'), op_dim(c, 'd'), op_dim(c, 'N'), op_real(c, "tau1"), op_real(c, "tau2"),
                            op_in(c, "x"), op_in(c, "beta"), &kept, op_out(c, "r"));
    free(block);
    return status;
}

static smoe_status perturbed_vjp(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), d = op_dim(c, 'd');
    const double tau1 = op_real(c, "tau1"), tau2 = op_real(c, "tau2"), *x = op_in(c, "x"), *beta = op_in(c, "beta");
    smoe_perturbed_kept kept;
    double *block = perturbed_open(c, &kept), *work = op_room((T + N) * d, sizeof *work);
    smoe_status status = smoe_gate_perturbed(T, d, N, tau1, tau2, x, beta, &kept, op_out(c, "r"));
    if (status == SMOE_OK)
        status = smoe_gate_perturbed_vjp(T, d, N, tau1, tau2, x, beta, &kept, op_cot(c, "r"), op_grad(c, "x"),
                                         op_grad(c, "beta"), work);
    free(block);
    free(work);
    return status;
}

static void fill_perturbed_lengths(op_case *c, op_rng *r)
{
    op_fill_normal(r, 1, c->in[0].count, op_in(c, "x"));
    op_fill_normal(r, 1, c->in[1].count, op_in(c, "beta"));
    stretch(op_dim(c, 'T'), op_dim(c, 'd'), op_in(c, "x"));
}

static void fill_perturbed(op_case *c, op_rng *r)
{
    op_fill_normal(r, 1, c->in[0].count, op_in(c, "x"));
    op_fill_normal(r, 1, c->in[1].count, op_in(c, "beta"));
}

static void fill_perturbed_embeddings(op_case *c, op_rng *r)
{
    fill_perturbed(c, r);
    stretch(op_dim(c, 'N'), op_dim(c, 'd'), op_in(c, "beta"));
}

/* Tokens and embeddings of the size of tau: the damping is half of the result. */
static void fill_perturbed_short(op_case *c, op_rng *r)
{
    op_fill_normal(r, 0.125, c->in[0].count, op_in(c, "x"));
    op_fill_normal(r, 0.0625, c->in[1].count, op_in(c, "beta"));
}

/* Token 0 and expert 0 are 0: the damped direction is 0 there, and differentiable. */
static void fill_perturbed_zeros(op_case *c, op_rng *r)
{
    fill_perturbed(c, r);
    memset(op_in(c, "x"), 0, op_dim(c, 'd') * sizeof(double));
    memset(op_in(c, "beta"), 0, op_dim(c, 'd') * sizeof(double));
}

/* Vectors like (2,-2,1), of length 3: with tau = 1 the denominators are 4. */
static void fill_perturbed_exact(op_case *c, op_rng *r)
{
    static const double triple[3] = {2, 2, 1};
    for (int i = 0; i < 2; i++)
        for (size_t row = 0; row < c->in[i].count / 3; row++) {
            const uint64_t turn = op_below(r, 3), signs = op_below(r, 8);
            for (size_t k = 0; k < 3; k++)
                c->in[i].f64[row * 3 + k] = triple[(k + turn) % 3] * (signs >> k & 1 ? -1 : 1);
        }
}

static const op_spec perturbed_cases[] = {
    {"small", "smoke", "T=3,N=4,d=4", "", "", "a first look", fill_perturbed},
    {"random", "core", "T=10,N=6,d=8", "", "", "normal tokens and embeddings", fill_perturbed},
    {"undamped", "core", "T=10,N=6,d=8", "tau1=0,tau2=0", "", "tau = 0: the cosine itself", fill_perturbed},
    {"one-sided", "core", "T=8,N=5,d=6", "tau1=0,tau2=0.5", "", "only the tokens are damped", fill_perturbed},
    {"one-token", "core", "T=1,N=5,d=6", "", "", "a batch of one", fill_perturbed},
    {"one-expert", "core", "T=4,N=1,d=6", "", "", "one logit a token", fill_perturbed},
    {"no-tokens", "core", "T=0,N=4,d=3", "", "", "no tokens: the embeddings' gradient is exactly 0", fill_perturbed},
    {"short", "adversarial", "T=8,N=6,d=6", "tau1=0.125,tau2=0.25", "MissingDamping,SwappedTau,DampedProduct",
     "vectors as short as tau: to lose it, swap it or add it to the product of the lengths is to be seen",
     fill_perturbed_short},
    {"lengths", "adversarial", "T=14,N=6,d=6", "", "UnnormalisedCosine,DampedProduct",
     "tokens of lengths 1/8 to 8 and more", fill_perturbed_lengths},
    {"embeddings", "adversarial", "T=8,N=7,d=6", "", "MutatingEval,UnnormalisedCosine",
     "embeddings of lengths 1/8 to 8: a gate that rescales them on each forward, as the second CompeteSMoE code's does",
     fill_perturbed_embeddings},
    {"zeros", "adversarial", "T=4,N=4,d=4", "", "ZeroNorm",
     "a token and an embedding of zeros: logits 0, and a gradient of 1/tau that a norm's 0/0 spoils",
     fill_perturbed_zeros},
    {"thirds", "adversarial", "T=6,N=5,d=3", "tau1=1,tau2=1", "MissingDamping",
     "vectors like (2,2,1), of length 3, and tau = 1: sixteenths without a rounding error", fill_perturbed_exact},
    {"large", "large", "T=64,N=16,d=64", "", "", "sums of 64 terms", fill_perturbed},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- gate.stable -------------------------------------------------------------------------------------------------- */

static const op_tensor stable_in[] = {
    {"x", "T,d", OP_INPUT, OP_DIFF, "tokens"},
    {"e", "N,d", OP_INPUT, OP_DIFF, "the experts' centroids"},
    {"shat", "T,N", OP_INPUT, 0, "scores of the distilled router; they choose in stage 2 and have no gradient"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor stable_out[] = {
    {"index", "T,1", OP_DECISION, OP_I64, "the expert of each token: argmax of s in stage 1, of shat in stage 2"},
    {"weight", "T,1", OP_BOUNDED, OP_DIFF, "sigmoid of s at that expert, in both stages"},
    {"margin", "T", OP_STAGE, OP_MARGIN, "largest minus second largest of what chooses, +inf if N = 1"},
    {"s", "T,N", OP_STAGE, 0, "scores x e'"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param stable_param[] = {
    {"stage", OP_CHOICE, "1|2", "1: the scores choose; 2: the distilled router chooses"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *stable_check(const op_case *c)
{
    if (op_dim(c, 'd') < 1) return "d must be at least 1: a token has no coordinates";
    return op_dim(c, 'N') < 1 ? "N must be at least 1: there is no expert" : NULL;
}

static smoe_status stable_forward(op_case *c)
{
    const size_t T = op_dim(c, 'T');
    size_t *index = op_room(T, sizeof *index);
    const smoe_status status =
        smoe_gate_stable(op_is(c, "stage", "1") ? SMOE_STABLE_LEARNING : SMOE_STABLE_FROZEN, T, op_dim(c, 'd'),
                         op_dim(c, 'N'), op_in(c, "x"), op_in(c, "e"), op_in(c, "shat"), op_out(c, "s"), index,
                         op_out(c, "weight"), op_out(c, "margin"));
    op_write_index(c, "index", T, index);
    free(index);
    return status;
}

static smoe_status stable_vjp(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    size_t *index = op_read_index(c, "index", T);
    double *work = op_room(T * N, sizeof *work);
    const smoe_status status = smoe_gate_stable_vjp(T, op_dim(c, 'd'), N, op_in(c, "x"), op_in(c, "e"), op_out(c, "s"),
                                                    index, op_cot(c, "weight"), op_grad(c, "x"), op_grad(c, "e"), work);
    free(index);
    free(work);
    return status;
}

/* Tokens, centroids of half their size, and distilled scores a quarter apart. */
static void fill_stable(op_case *c, op_rng *r)
{
    op_fill_normal(r, 1, c->in[0].count, op_in(c, "x"));
    op_fill_normal(r, 0.5, c->in[1].count, op_in(c, "e"));
    op_fill_apart(r, 0.25, op_dim(c, 'T'), op_dim(c, 'N'), op_in(c, "shat"));
}

/* d = N and centroids 2 apart on the axes: s is twice the token.  Token t wants expert t; the distilled router wants
 * expert t + 1, which the token is against. */
static void fill_stable_disagree(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    for (size_t i = 0; i < N; i++) op_in(c, "e")[i * N + i] = 2;
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) {
            const size_t rank = (i + N - t % N) % N;
            const double noise = 0.125 * (double)op_below(r, 3);
            op_in(c, "x")[t * N + i] = (rank == 0 ? 1.5 : rank == 1 ? -1 : 0) + noise;
            op_in(c, "shat")[t * N + i] = rank == 1 ? 4 : 0.5 * (double)rank;
        }
}

/* Zero tokens: every score is 0, every weight 1/2, and expert 0 is chosen in stage 1. */
static void fill_stable_zero(op_case *c, op_rng *r)
{
    fill_stable(c, r);
    memset(op_in(c, "x"), 0, c->in[0].count * sizeof(double));
}

static void fill_stable_equal(op_case *c, op_rng *r)
{
    fill_stable(c, r);
    memset(op_in(c, "shat"), 0, c->in[2].count * sizeof(double));
}

/* Scores of the size of 40 and more: sigmoids of 1 - e^-40, slopes of e^-40. */
static void fill_stable_saturated(op_case *c, op_rng *r)
{
    fill_stable_disagree(c, r);
    for (size_t k = 0; k < c->in[0].count; k++) op_in(c, "x")[k] *= 16;
}

static const op_spec stable_cases[] = {
    {"small", "smoke", "T=3,N=4,d=4", "", "", "a first look", fill_stable},
    {"stage-1", "core", "T=12,N=6,d=8", "", "", "the scores choose", fill_stable},
    {"stage-2", "core", "T=12,N=6,d=8", "stage=2", "", "the distilled router chooses, the scores still weigh",
     fill_stable},
    {"one-expert", "core", "T=4,N=1,d=5", "", "", "N = 1: no choice, but a weight", fill_stable},
    {"one-token", "core", "T=1,N=5,d=6", "stage=2", "", "a batch of one", fill_stable},
    {"no-tokens", "core", "T=0,N=4,d=3", "", "", "no tokens: the centroids' gradient is exactly 0", fill_stable},
    {"disagree-1", "adversarial", "T=8,N=4,d=4", "", "StageConfused,SoftmaxWeight",
     "stage 1 does not look at the distilled router, which wants another expert", fill_stable_disagree},
    {"disagree-2", "adversarial", "T=8,N=4,d=4", "stage=2", "StageConfused,DistilledWeight,SoftmaxWeight",
     "stage 2: the expert is the distilled router's, the weight is not; both routers disagree", fill_stable_disagree},
    {"equal-1", "adversarial", "T=5,N=4,d=4", "", "ties,TieOrder", "zero tokens: all tie, expert 0, weight 1/2",
     fill_stable_zero},
    {"equal-2", "adversarial", "T=6,N=5,d=4", "stage=2", "ties,TieOrder",
     "all distilled scores equal: expert 0, whatever the scores say", fill_stable_equal},
    {"saturated", "adversarial", "T=6,N=4,d=4", "", "",
     "scores of 48: the slope is sigmoid(s) sigmoid(-s), not s (1 - s)", fill_stable_saturated},
    {"large", "large", "T=64,N=16,d=64", "stage=2", "", "sums of 64 terms", fill_stable},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- gate.stable.distill ------------------------------------------------------------------------------------------ */

static const op_tensor distill_in[] = {
    {"token", "T", OP_INPUT, OP_I64, "each token's id, below V"},
    {"table", "V,m", OP_INPUT, OP_DIFF, "the distilled router's own embeddings of the ids"},
    {"ehat", "N,m", OP_INPUT, OP_DIFF, "its embeddings of the experts"},
    {"target", "T", OP_INPUT, OP_I64, "the expert that the scores chose, below N"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor distill_out[] = {
    {"loss", "", OP_BOUNDED, OP_DIFF, "cross entropy of softmax(shat) against the targets"},
    {"shat", "T,N", OP_STAGE, 0, "table[token] ehat'"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param distill_param[] = {
    {"reduce", OP_CHOICE, "sum|mean", "over the tokens"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *distill_check(const op_case *c)
{
    if (op_dim(c, 'N') < 1) return "N must be at least 1: there is no expert";
    if (op_dim(c, 'V') < 1 || op_dim(c, 'm') < 1) return "V and m must be at least 1: there is no embedding";
    return op_is(c, "reduce", "mean") && op_dim(c, 'T') < 1
               ? "T must be at least 1: a mean over no tokens is not defined"
               : NULL;
}

static double *distill_open(const op_case *c, smoe_stable_distill_in *in, size_t **token, size_t **target)
{
    *token = given_index(c, "token", op_dim(c, 'T'));
    *target = given_index(c, "target", op_dim(c, 'T'));
    *in = (smoe_stable_distill_in){op_dim(c, 'T'), op_dim(c, 'V'), op_dim(c, 'm'),    op_dim(c, 'N'),
                                   *token,         *target,        op_in(c, "table"), op_in(c, "ehat")};
    return op_room(in->T * (in->m + 1), sizeof(double));
}

static smoe_status distill_forward(op_case *c)
{
    smoe_stable_distill_in in;
    size_t *token, *target;
    double *h = distill_open(c, &in, &token, &target), *lse = h + in.T * in.m;
    const smoe_status status = (op_is(c, "reduce", "mean") ? smoe_stable_distill_mean : smoe_stable_distill)(
        &in, h, op_out(c, "shat"), lse, op_out(c, "loss"));
    free(token);
    free(target);
    free(h);
    return status;
}

static smoe_status distill_vjp(op_case *c)
{
    const bool mean = op_is(c, "reduce", "mean");
    smoe_stable_distill_in in;
    size_t *token, *target;
    double *h = distill_open(c, &in, &token, &target), *lse = h + in.T * in.m;
    double *work = op_room(in.T * (in.N + in.m), sizeof *work);
    smoe_status status =
        (mean ? smoe_stable_distill_mean : smoe_stable_distill)(&in, h, op_out(c, "shat"), lse, op_out(c, "loss"));
    if (status == SMOE_OK)
        status = (mean ? smoe_stable_distill_mean_vjp : smoe_stable_distill_vjp)(
            &in, h, op_out(c, "shat"), lse, *op_cot(c, "loss"), op_grad(c, "table"), op_grad(c, "ehat"), work);
    free(token);
    free(target);
    free(h);
    free(work);
    return status;
}

static void fill_distill(op_case *c, op_rng *r)
{
    op_fill_normal(r, 1, c->in[1].count, op_in(c, "table"));
    op_fill_normal(r, 1, c->in[2].count, op_in(c, "ehat"));
    for (size_t t = 0; t < op_dim(c, 'T'); t++) {
        op_in_i64(c, "token")[t] = (int64_t)op_below(r, op_dim(c, 'V'));
        op_in_i64(c, "target")[t] = (int64_t)op_below(r, op_dim(c, 'N'));
    }
}

/* Every token has the same id: its row of the table gets all gradients, the other rows none. */
static void fill_distill_one_id(op_case *c, op_rng *r)
{
    fill_distill(c, r);
    for (size_t t = 0; t < op_dim(c, 'T'); t++) op_in_i64(c, "token")[t] = (int64_t)op_dim(c, 'V') - 1;
}

/* ehat = 0: every loss is ln N and every probability 1/N. */
static void fill_distill_uniform(op_case *c, op_rng *r)
{
    fill_distill(c, r);
    memset(op_in(c, "ehat"), 0, c->in[2].count * sizeof(double));
}

/* Scores of several hundred: exp overflows unless the maximum is taken off, and log(softmax) is -inf. */
static void fill_distill_far(op_case *c, op_rng *r)
{
    fill_distill(c, r);
    for (size_t k = 0; k < c->in[1].count; k++) op_in(c, "table")[k] *= 512;
}

static const op_spec distill_cases[] = {
    {"small", "smoke", "T=4,V=5,m=3,N=4", "", "", "a first look", fill_distill},
    {"sum", "core", "T=16,V=12,m=6,N=5", "", "", "the sum, as in StableMoE's code", fill_distill},
    {"mean", "core", "T=16,V=12,m=6,N=5", "reduce=mean", "", "the mean over the tokens", fill_distill},
    {"one-expert", "core", "T=4,V=5,m=3,N=1", "", "", "N = 1: loss and gradients exactly 0", fill_distill},
    {"one-token", "core", "T=1,V=5,m=3,N=4", "", "", "most rows of the table get no gradient", fill_distill},
    {"no-tokens", "core", "T=0,V=5,m=3,N=4", "", "", "no tokens: loss and gradients 0", fill_distill},
    {"repeated", "adversarial", "T=24,V=3,m=4,N=4", "", "ScatterOverwrite,DistillReduce",
     "ids that come back: their gradients add up, and the last one does not win", fill_distill},
    {"one-id", "adversarial", "T=9,V=4,m=4,N=4", "reduce=mean", "ScatterOverwrite,DistillReduce",
     "one id for all tokens; a sum where the mean is meant is nine times as much", fill_distill_one_id},
    {"uniform", "adversarial", "T=6,V=4,m=3,N=4", "", "DistillReduce", "all scores 0: the loss is T ln N",
     fill_distill_uniform},
    {"far", "adversarial", "T=8,V=6,m=4,N=5", "", "NaiveSoftmax", "scores of a thousand: the log of a softmax is -inf",
     fill_distill_far},
    {"large", "large", "T=128,V=64,m=50,N=16", "", "", "the width of StableMoE's distilled router", fill_distill},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- gate.deepseek ------------------------------------------------------------------------------------------------ */

static const op_tensor deepseek_in[] = {
    {"x", "T,d", OP_INPUT, OP_DIFF, "tokens"},
    {"e", "N,d", OP_INPUT, OP_DIFF, "the experts' centroids"},
    {"bias", "N", OP_INPUT, 0, "added to the scores for the choice alone; below 2^99 in size"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor deepseek_out[] = {
    {"index", "T,K", OP_DECISION, OP_I64,
     "the K experts of each token: largest s + bias inside the chosen groups first"},
    {"weight", "T,K", OP_BOUNDED, OP_DIFF, "weight of each of them, in the order of index, from s without the bias"},
    {"margin", "T", OP_STAGE, OP_MARGIN, "K-th minus (K+1)-th largest of s + bias (-2^100 outside the groups)"},
    {"s", "T,N", OP_STAGE, 0, "scores sigmoid(x e')"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param deepseek_param[] = {
    {"k", OP_INT, "2", "experts a token"},
    {"groups", OP_INT, "1", "groups of neighbouring experts; divides N"},
    {"topk_groups", OP_INT, "1", "groups that a token may choose from"},
    {"route_scale", OP_REAL, "2.5", "a factor on every weight"},
    {"normalise", OP_CHOICE, "yes|no", "are the chosen s divided by their sum?"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *deepseek_check(const op_case *c)
{
    const char *wrong = check_selection(c);
    const long N = (long)op_dim(c, 'N'), G = op_int(c, "groups"), kept = op_int(c, "topk_groups");
    if (wrong) return wrong;
    if (op_dim(c, 'd') < 1) return "d must be at least 1: a token has no coordinates";
    if (G < 1 || N % G != 0) return "groups must be at least 1 and divide N: all groups are of one size";
    if (kept < 1 || kept > G) return "topk_groups must be at least 1 and at most groups";
    return op_int(c, "k") > kept * (N / G) ? "k must be at most topk_groups*N/groups: there are no more to choose from"
                                           : NULL;
}

static double *deepseek_open(const op_case *c, smoe_deepseek_in *in, smoe_deepseek_out *out, size_t *index)
{
    *in = (smoe_deepseek_in){op_is(c, "normalise", "yes") ? SMOE_DEEPSEEK_RENORM : SMOE_DEEPSEEK_PLAIN,
                             op_dim(c, 'T'),
                             op_dim(c, 'd'),
                             op_dim(c, 'N'),
                             op_dim(c, 'K'),
                             (size_t)op_int(c, "groups"),
                             (size_t)op_int(c, "topk_groups"),
                             op_real(c, "route_scale"),
                             op_in(c, "x"),
                             op_in(c, "e"),
                             op_in(c, "bias")};
    double *z = op_room(in->T * in->N, sizeof *z);
    *out = (smoe_deepseek_out){index, op_out(c, "weight"), op_out(c, "margin"), z, op_out(c, "s")};
    return z;
}

static smoe_status deepseek_run(op_case *c, bool gradient)
{
    smoe_deepseek_in in;
    smoe_deepseek_out out;
    size_t *index = op_room(op_dim(c, 'T') * op_dim(c, 'K'), sizeof *index);
    double *z = deepseek_open(c, &in, &out, index);
    size_t *group = op_room(in.groups, sizeof *group);
    double *work = op_room((in.T + 2) * in.N + 2 * in.groups + 2 * in.K, sizeof *work);
    smoe_status status = smoe_gate_deepseek(&in, &out, work, group);
    if (status == SMOE_OK && gradient)
        status = smoe_gate_deepseek_vjp(&in, &out, op_cot(c, "weight"), op_grad(c, "x"), op_grad(c, "e"), work);
    op_write_index(c, "index", in.T * in.K, index);
    free(index);
    free(z);
    free(group);
    free(work);
    return status;
}

static smoe_status deepseek_forward(op_case *c) { return deepseek_run(c, false); }
static smoe_status deepseek_vjp(op_case *c) { return deepseek_run(c, true); }

/* By how much the groups that token t keeps lead those that it does not keep. */
static double group_lead(const op_case *c, size_t t)
{
    const size_t N = op_dim(c, 'N'), d = op_dim(c, 'd'), G = (size_t)op_int(c, "groups"), n = N / G;
    const size_t kept = (size_t)op_int(c, "topk_groups");
    double *b = op_room(N, sizeof *b), *score = op_room(G, sizeof *score), *value = op_room(kept, sizeof *value),
           lead = 0;
    size_t *group = op_room(kept, sizeof *group);
    for (size_t i = 0; i < N; i++)
        b[i] = smoe_sigmoid(smoe_dot(d, op_in(c, "x") + t * d, op_in(c, "e") + i * d)) + op_in(c, "bias")[i];
    for (size_t g = 0; g < G; g++) score[g] = smoe_group_score(n, b + g * n);
    const smoe_status status = smoe_topk(G, kept, score, group, value, &lead);
    free(b);
    free(score);
    free(value);
    free(group);
    return status == SMOE_OK ? lead : 0;
}

/* Normal tokens, drawn again until the choice of groups is clear by 1/16: no precision doubts it. */
static void draw_tokens(op_case *c, op_rng *r)
{
    const size_t d = op_dim(c, 'd');
    for (size_t t = 0; t < op_dim(c, 'T'); t++)
        for (int tries = 0; tries < 1000; tries++) {
            op_fill_normal(r, 1, d, op_in(c, "x") + t * d);
            if (group_lead(c, t) > 0.0625) break;
        }
}

static void fill_deepseek(op_case *c, op_rng *r)
{
    op_fill_normal(r, 0.5, c->in[1].count, op_in(c, "e"));
    op_fill_normal(r, 0.125, c->in[2].count, op_in(c, "bias"));
    draw_tokens(c, r);
}

/* Biases of 0 to 3/4: they decide, and must leave no trace in the weights. */
static void fill_deepseek_biased(op_case *c, op_rng *r)
{
    op_fill_normal(r, 0.5, c->in[1].count, op_in(c, "e"));
    for (size_t i = 0; i < op_dim(c, 'N'); i++) op_in(c, "bias")[i] = 0.25 * (double)(5 * i % 4);
    draw_tokens(c, r);
}

/* Biases of -2 and less: every s + bias is negative, and an expert outside the groups that counts as 0 would win. */
static void fill_deepseek_negative(op_case *c, op_rng *r)
{
    op_fill_normal(r, 0.5, c->in[1].count, op_in(c, "e"));
    for (size_t i = 0; i < op_dim(c, 'N'); i++) op_in(c, "bias")[i] = -2 - 0.125 * (double)(5 * i % 4);
    draw_tokens(c, r);
}

/* d = N = 8, e = 1: z is the token.  Of four pairs, one has the largest score and a poor second, another two good ones:
 * the sum of two wants the latter, the maximum the former.  Which pair it is moves with t. */
static void fill_deepseek_pairs(op_case *c, op_rng *r)
{
    static const double level[8] = {4, -4, 1, 1.5, -1, -1.5, -2, -3};
    const size_t N = op_dim(c, 'N');
    for (size_t i = 0; i < N; i++) op_in(c, "e")[i * N + i] = 1;
    for (size_t t = 0; t < op_dim(c, 'T'); t++)
        for (size_t i = 0; i < N; i++) {
            const double noise = 0.0625 * (double)op_below(r, 3);
            op_in(c, "x")[t * N + i] = level[(i + 2 * t) % 8] + noise;
        }
}

/* Scores near 0: the weights are small unless they are divided by their sum. */
static void fill_deepseek_faint(op_case *c, op_rng *r)
{
    fill_deepseek_pairs(c, r);
    for (size_t k = 0; k < c->in[0].count; k++) op_in(c, "x")[k] -= 8;
}

/* Tokens against one axis each, and scores of sigmoid(-14), sigmoid(-15), ...: 8e-7 and less; no bias.
 * Cotangents of 1/64, so that over a sum of 1e-6 they are finite in binary16 too. */
static void fill_deepseek_vanishing(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), d = op_dim(c, 'd');
    (void)r;
    for (size_t t = 0; t < T; t++) op_in(c, "x")[t * d + t % d] = -1;
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < d; k++) op_in(c, "e")[i * d + k] = 14 + (double)((i + 3 * k) % N);
    for (size_t a = 0; a < T * op_dim(c, 'K'); a++) op_cot(c, "weight")[a] = a % 2 == 0 ? 0x1p-6 : -0x1p-6;
}

static void fill_deepseek_equal(op_case *c, op_rng *r)
{
    fill_deepseek(c, r);
    memset(op_in(c, "x"), 0, c->in[0].count * sizeof(double));
    memset(op_in(c, "bias"), 0, c->in[2].count * sizeof(double));
}

static const op_spec deepseek_cases[] = {
    {"small", "smoke", "T=3,N=4,d=4", "", "", "a first look", fill_deepseek},
    {"random", "core", "T=12,N=8,d=8", "", "", "one group: no limit", fill_deepseek},
    {"plain", "core", "T=12,N=8,d=8", "normalise=no", "", "the scores themselves, times 2.5", fill_deepseek},
    {"groups", "core", "T=12,N=12,d=8", "k=3,groups=4,topk_groups=2", "", "two of four groups of three", fill_deepseek},
    {"groups-plain", "core", "T=12,N=12,d=8", "k=3,groups=4,topk_groups=2,normalise=no", "", "the same, not normalised",
     fill_deepseek},
    {"singles", "core", "T=8,N=6,d=6", "k=2,groups=6,topk_groups=4", "", "groups of one expert: its own score counts",
     fill_deepseek},
    {"whole-groups", "core", "T=8,N=8,d=6", "k=4,groups=4,topk_groups=2", "",
     "k = topk_groups N / groups: all of the chosen groups", fill_deepseek},
    {"all-groups", "core", "T=8,N=8,d=6", "k=3,groups=4,topk_groups=4", "", "every group is kept: no limit",
     fill_deepseek},
    {"top-1", "core", "T=8,N=6,d=6", "k=1", "", "weight 2.5 whatever the score, and no gradient", fill_deepseek},
    {"top-1-plain", "core", "T=8,N=6,d=6", "k=1,normalise=no,route_scale=1.0", "", "one expert, weight s",
     fill_deepseek},
    {"one-expert", "core", "T=4,N=1,d=4", "k=1", "", "N = 1", fill_deepseek},
    {"no-tokens", "core", "T=0,N=4,d=3", "", "", "no tokens: the centroids' gradient is exactly 0", fill_deepseek},
    {"biased", "adversarial", "T=12,N=8,d=8", "", "BiasLeak",
     "biases as large as the scores: they choose and do not weigh; vllm-project/vllm#12002, "
     "huggingface/transformers#41647",
     fill_deepseek_biased},
    {"biased-plain", "adversarial", "T=12,N=8,d=8", "normalise=no", "BiasLeak,NormTopK", "the same, not normalised",
     fill_deepseek_biased},
    {"biased-groups", "adversarial", "T=12,N=12,d=8", "k=3,groups=4,topk_groups=2", "BiasLeak,IgnoredBias",
     "the bias takes part in the choice of groups too", fill_deepseek_biased},
    {"negative", "adversarial", "T=12,N=12,d=8", "k=3,groups=4,topk_groups=2", "GroupMaskZero,BiasLeak",
     "all s + bias negative: an expert outside the groups is out, not at 0; deepseek-ai/DeepSeek-V3#741, "
     "sgl-project/sglang#3705, huggingface/transformers#45440",
     fill_deepseek_negative},
    {"pairs", "adversarial", "T=8,N=8,d=8", "k=2,groups=4,topk_groups=1", "GroupMax,IgnoredGroups,SoftmaxScores",
     "a group counts by its two best experts, not by its best one", fill_deepseek_pairs},
    {"pairs-plain", "adversarial", "T=8,N=8,d=8", "k=2,groups=4,topk_groups=1,normalise=no",
     "GroupMax,IgnoredGroups,NormTopK,SoftmaxScores,MissingScale", "the same, not normalised", fill_deepseek_pairs},
    {"faint", "adversarial", "T=8,N=8,d=8", "k=3", "NormTopK,SoftmaxScores,LblEpsHack",
     "scores down to e^-12: normalised, they are weights like any others", fill_deepseek_faint},
    {"vanishing", "adversarial", "T=8,N=8,d=4", "k=3", "LblEpsHack",
     "scores of 1e-6: normalised, they are weights like any others, but for an epsilon of 1e-7; "
     "NVIDIA/Megatron-LM#1545",
     fill_deepseek_vanishing},
    {"equal", "adversarial", "T=5,N=6,d=4", "k=3", "ties,TieOrder", "zero tokens: all s are 1/2, experts 0, 1 and 2",
     fill_deepseek_equal},
    {"large", "large", "T=64,N=32,d=64", "k=4,groups=8,topk_groups=4", "", "thirty-two experts in eight groups",
     fill_deepseek},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

const op_record op_gate_cosine[] = {
    {"gate.xmoe", "XMoE's cosine gate", "G.12",
     "s = norm <z,e_i>/(|z||e_i|), z = W x (raw: not divided by |z|); weight = softmax(s/tau)_I | sigmoid(s_I/tau)",
     "Chi et al. 2022 (XMoE), eqs. (4) to (6) (text seen); public code of it and of CompeteSMoE v1 and v2 (read and "
     "run)",
     "ref/gate.c: smoe_gate_xmoe, smoe_gate_xmoe_vjp, smoe_cosine_scores, smoe_xmoe_softmax, smoe_xmoe_sigmoid, "
     "smoe_unit",
     xmoe_in, xmoe_out, xmoe_param, xmoe_cases, xmoe_check, xmoe_forward, xmoe_vjp},
    {"gate.perturbed", "Perturbed cosine gate", "G.13", "r_i = <beta_i, x> / ((|beta_i| + tau1) (|x| + tau2))",
     "Nguyen et al. 2024, arXiv 2405.14131 (from memory, high confidence); public code of CompeteSMoE v2 (run)",
     "ref/gate.c: smoe_gate_perturbed, smoe_gate_perturbed_vjp, smoe_damped", perturbed_in, perturbed_out,
     perturbed_param, perturbed_cases, perturbed_check, perturbed_forward, perturbed_vjp},
    {"gate.stable", "StableMoE's gate", "G.14",
     "s = x e'; a = argmax s (stage 1) | argmax shat (stage 2); weight = sigmoid(s_a)",
     "Dai et al. 2022 (StableMoE) (from memory, high confidence) and its public code (read)",
     "ref/gate.c: smoe_gate_stable, smoe_gate_stable_vjp, smoe_stable_choice", stable_in, stable_out, stable_param,
     stable_cases, stable_check, stable_forward, stable_vjp},
    {"gate.stable.distill", "StableMoE's distilled router", "G.15",
     "shat = table[token] ehat'; loss = -sum_t log softmax(shat_t)_{target_t} (or the mean over t)",
     "Dai et al. 2022 (StableMoE) (from memory, high confidence) and its public code (read)",
     "ref/gate.c: smoe_stable_distill, smoe_stable_distill_vjp, smoe_stable_distill_mean, smoe_cross_entropy",
     distill_in, distill_out, distill_param, distill_cases, distill_check, distill_forward, distill_vjp},
    {"gate.deepseek", "DeepSeek-V3's gate", "G.16",
     "s = sigmoid(x e'); I = TopK(s + bias) inside the groups with the best two; weight = s_I (/ sum s_I) route_scale",
     "DeepSeek-AI 2024 (DeepSeek-V3) and its public inference code (read)",
     "ref/gate.c: smoe_gate_deepseek, smoe_gate_deepseek_vjp, smoe_group_limit, smoe_weights_scaled_renorm, "
     "smoe_weights_scaled",
     deepseek_in, deepseek_out, deepseek_param, deepseek_cases, deepseek_check, deepseek_forward, deepseek_vjp},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
