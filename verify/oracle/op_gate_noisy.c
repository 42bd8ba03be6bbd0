/* Operations of chapter G that add noise, drop, or squash: spec/02-gate.md. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "gate.h"
#include "op.h"

static void to_i64(size_t n, const size_t *from, int64_t *to)
{
    for (size_t a = 0; a < n; a++) to[a] = (int64_t)from[a];
}

static const char *linear_check(const op_case *c)
{
    if (op_dim(c, 'd') < 1) return "d must be at least 1: a token has no coordinates";
    return op_dim(c, 'N') < 1 ? "N must be at least 1: there is no expert" : NULL;
}

static const char *topk_check(const op_case *c)
{
    if (op_dim(c, 'N') < 1) return "N must be at least 1: there is no expert";
    if (op_int(c, "k") < 1) return "k must be at least 1: a token has at least one expert";
    return op_int(c, "k") > (long)op_dim(c, 'N')
               ? "k must be at most N: a token cannot have more experts than there are"
               : NULL;
}

static const char *routed_check(const op_case *c)
{
    const char *wrong = linear_check(c);
    return wrong ? wrong : topk_check(c);
}

/* n values -2 ... 2. */
static void integers(op_rng *r, size_t n, double *x)
{
    for (size_t k = 0; k < n; k++) x[k] = (double)op_below(r, 5) - 2;
}

/* --- gate.jitter -------------------------------------------------------------------------------------------------- */

static const op_tensor jitter_in[] = {
    {"x", "T,d", OP_INPUT, OP_DIFF, "tokens"},
    {"noise", "T,d", OP_INPUT, 0, "the multipliers, drawn from [1-e, 1+e] by the caller; constants"},
    {"wr", "N,d", OP_INPUT, OP_DIFF, "the router's weights, one row an expert"},
    {"br", "N", OP_INPUT, OP_DIFF, "the router's bias"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor jitter_out[] = {
    {"r", "T,N", OP_BOUNDED, OP_DIFF, "router logits, r = Wr (x * noise) + br"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};

static smoe_status jitter_run(op_case *c, bool gradients)
{
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd'), N = op_dim(c, 'N');
    double *xn = op_room(T * d, sizeof *xn);
    smoe_status status =
        smoe_gate_jitter(T, d, N, op_in(c, "x"), op_in(c, "noise"), op_in(c, "wr"), op_in(c, "br"), op_out(c, "r"), xn);
    if (status == SMOE_OK && gradients)
        status = smoe_gate_jitter_vjp(T, d, N, op_in(c, "noise"), xn, op_in(c, "wr"), op_cot(c, "r"), op_grad(c, "x"),
                                      op_grad(c, "wr"), op_grad(c, "br"));
    free(xn);
    return status;
}

static smoe_status jitter_forward(op_case *c) { return jitter_run(c, false); }
static smoe_status jitter_vjp(op_case *c) { return jitter_run(c, true); }

/* Multipliers within e of 1. */
static void jitter(op_case *c, op_rng *r, double e)
{
    op_fill_default(c, r);
    for (size_t k = 0; k < op_dim(c, 'T') * op_dim(c, 'd'); k++)
        op_in(c, "noise")[k] = op_representable(1 + e * (2 * op_uniform(r) - 1));
}

static void fill_jitter(op_case *c, op_rng *r) { jitter(c, r, 0.0625); }
static void fill_jitter_strong(op_case *c, op_rng *r) { jitter(c, r, 0.5); }
static void fill_jitter_none(op_case *c, op_rng *r) { jitter(c, r, 0); }

/* Integers, multiplied by 1/2, 1 or 2: exact in every precision. */
static void fill_jitter_exact(op_case *c, op_rng *r)
{
    for (size_t i = 0; c->op->in[i].name; i++) integers(r, c->in[i].count, c->in[i].f64);
    integers(r, op_dim(c, 'T') * op_dim(c, 'N'), op_cot(c, "r"));
    for (size_t k = 0; k < op_dim(c, 'T') * op_dim(c, 'd'); k++)
        op_in(c, "noise")[k] = ldexp(1, (int)op_below(r, 3) - 1);
}

static void fill_jitter_biased(op_case *c, op_rng *r)
{
    fill_jitter_strong(c, r);
    for (size_t i = 0; i < op_dim(c, 'N'); i++) op_in(c, "br")[i] = op_representable(4 + op_uniform(r));
}

static const op_spec jitter_cases[] = {
    {"small", "smoke", "T=3,d=4,N=4", "", "", "a first look", fill_jitter},
    {"random", "core", "T=16,d=8,N=6", "", "", "multipliers within 1/16 of 1", fill_jitter},
    {"none", "core", "T=6,d=5,N=4", "", "", "all multipliers 1: gate.linear", fill_jitter_none},
    {"one-token", "core", "T=1,d=5,N=3", "", "", "a batch of one", fill_jitter},
    {"one-expert", "core", "T=4,d=5,N=1", "", "", "one logit a token", fill_jitter},
    {"no-tokens", "core", "T=0,d=3,N=4", "", "", "no tokens: gradients of the weights exactly 0", NULL},
    {"strong", "adversarial", "T=8,d=6,N=5", "", "JitterAdded,JitterIgnored,JitterGrad,JitterLogits",
     "multipliers from 1/2 to 3/2: noise that is added, left out, put on the logits or forgotten in the gradient of x "
     "shows; first CompeteSMoE code's switch_gate adds it to the logits",
     fill_jitter_strong},
    {"exact", "adversarial", "T=6,d=5,N=4", "", "exact,JitterAdded,JitterIgnored,JitterGrad",
     "integers and powers of two: exact in every precision and order", fill_jitter_exact},
    {"biased", "adversarial", "T=6,d=5,N=4", "", "MissingBias,JitterLogits",
     "a bias as large as the rest, which the noise must not touch", fill_jitter_biased},
    {"signed", "adversarial", "T=6,d=5,N=4", "", "JitterAdded,JitterIgnored,JitterGrad",
     "standard normal multipliers, of both signs: any finite number is accepted", NULL},
    {"large", "large", "T=64,d=64,N=8", "", "", "sums of 64 terms", fill_jitter},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- gate.noisy --------------------------------------------------------------------------------------------------- */

static const op_tensor noisy_in[] = {
    {"x", "T,d", OP_INPUT, OP_DIFF, "tokens"},
    {"wg", "N,d", OP_INPUT, OP_DIFF, "the router's weights"},
    {"wn", "N,d", OP_INPUT, OP_DIFF, "the weights of the noise's size"},
    {"noise", "T,N", OP_INPUT, 0, "standard normal draws; constants"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor noisy_out[] = {
    {"index", "T,K", OP_DECISION, OP_I64, "TopK(noisy): the K experts of each token, best first"},
    {"weight", "T,K", OP_BOUNDED, OP_DIFF, "softmax of the selected noisy scores, in the order of index"},
    {"margin", "T", OP_STAGE, OP_MARGIN, "K-th minus (K+1)-th largest noisy score, +inf if K = N"},
    {"clean", "T,N", OP_STAGE, 0, "x wg'"},
    {"std", "T,N", OP_STAGE, 0, "softplus(x wn') + epsilon"},
    {"noisy", "T,N", OP_STAGE, 0, "clean + noise * std"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param noisy_param[] = {
    {"k", OP_INT, "2", "experts a token"},
    {"epsilon", OP_REAL, "0.0", "added to std; the paper has none, fastmoe 0.01"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *noisy_check(const op_case *c)
{
    if (!(op_real(c, "epsilon") >= 0)) return "epsilon must be at least 0: it is added to a standard deviation";
    return routed_check(c);
}

static smoe_status noisy_run(op_case *c, bool gradients)
{
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd'), N = op_dim(c, 'N'), K = op_dim(c, 'K');
    const double *x = op_in(c, "x"), *wg = op_in(c, "wg"), *wn = op_in(c, "wn"), *noise = op_in(c, "noise");
    size_t *index = op_room(T * K, sizeof *index);
    double *raw = op_room(T * N, sizeof *raw), *value = op_room(K, sizeof *value);
    double *dnoisy = op_room(T * N, sizeof *dnoisy), *draw = op_room(T * N, sizeof *draw);
    smoe_status status =
        smoe_gate_noisy(T, d, N, K, op_real(c, "epsilon"), x, wg, wn, noise, op_out(c, "clean"), raw, op_out(c, "std"),
                        op_out(c, "noisy"), index, op_out(c, "weight"), op_out(c, "margin"), value);
    if (status == SMOE_OK && gradients)
        status = smoe_gate_noisy_vjp(T, d, N, K, x, wg, wn, noise, raw, index, op_out(c, "weight"), op_cot(c, "weight"),
                                     op_grad(c, "x"), op_grad(c, "wg"), op_grad(c, "wn"), dnoisy, draw, value);
    to_i64(T * K, index, op_out_i64(c, "index"));
    free(index);
    free(raw);
    free(value);
    free(dnoisy);
    free(draw);
    return status;
}

static smoe_status noisy_forward(op_case *c) { return noisy_run(c, false); }
static smoe_status noisy_vjp(op_case *c) { return noisy_run(c, true); }

/* Paper's start: both matrices 0, so that noise alone decides, with std = ln 2. */
static void fill_noisy_start(op_case *c, op_rng *r)
{
    op_fill_default(c, r);
    for (size_t k = 0; k < op_dim(c, 'N') * op_dim(c, 'd'); k++) op_in(c, "wg")[k] = op_in(c, "wn")[k] = 0;
    op_fill_apart(r, 0.5, op_dim(c, 'T'), op_dim(c, 'N'), op_in(c, "noise"));
}

static void fill_noisy_quiet(op_case *c, op_rng *r)
{
    op_fill_default(c, r);
    for (size_t k = 0; k < op_dim(c, 'T') * op_dim(c, 'N'); k++) op_in(c, "noise")[k] = 0;
}

/* Tokens are unit vectors, so the scores are what is written into the matrices: a clean order, noise that turns much of
 * it around, and raw from -3 to 3. */
static void fill_noisy_reversed(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd'), N = op_dim(c, 'N');
    (void)r;
    for (size_t t = 0; t < T; t++)
        for (size_t k = 0; k < d; k++) op_in(c, "x")[t * d + k] = k == t % d ? 1 : 0;
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < d; k++) {
            op_in(c, "wg")[i * d + k] = (double)((i + k) % N) / 2;
            op_in(c, "wn")[i * d + k] = op_representable(3 - 6 * (double)((i + 2 * k) % N) / (double)N);
        }
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) op_in(c, "noise")[t * N + i] = 2 - (double)((i + t) % N);
}

/* raw about -40, where a softplus as log(1 + e^raw) is 0, and +40. */
static void fill_noisy_tails(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd'), N = op_dim(c, 'N');
    op_fill_default(c, r);
    for (size_t t = 0; t < T; t++) op_in(c, "x")[t * d] = 8;
    for (size_t i = 0; i < N; i++) {
        op_in(c, "wn")[i * d] = i % 2 == 0 ? -5 : 5;
        for (size_t k = 0; k < d; k++) op_in(c, "wg")[i * d + k] = k == 0 ? (double)i : 0;
    }
}

/* Unit tokens again: raw is `level` and up by eighths, clean scores are quarters, noise is 0, step, 2 step, ... */
static void noisy_levels(op_case *c, double level, double step)
{
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd'), N = op_dim(c, 'N');
    for (size_t t = 0; t < T; t++)
        for (size_t k = 0; k < d; k++) op_in(c, "x")[t * d + k] = k == t % d ? 1 : 0;
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < d; k++) {
            op_in(c, "wg")[i * d + k] = (double)((2 * i + k) % N) / 4;
            op_in(c, "wn")[i * d + k] = level + (double)((i + k) % N) / 8;
        }
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) op_in(c, "noise")[t * N + i] = step * (double)((i + t) % N);
}

/* Noise of up to 128 times a standard deviation of 1/3000: a hundredth added to it is more than all of it. */
static void fill_noisy_faint(op_case *c, op_rng *r)
{
    (void)r;
    noisy_levels(c, -8, 32);
}

static void fill_noisy_beyond(op_case *c, op_rng *r)
{
    (void)r;
    noisy_levels(c, 21, 0.0625);
}

static void fill_noisy_equal(op_case *c, op_rng *r)
{
    op_fill_default(c, r);
    const size_t d = op_dim(c, 'd'), N = op_dim(c, 'N');
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < d; k++) {
            op_in(c, "wg")[i * d + k] = op_in(c, "wg")[k];
            op_in(c, "wn")[i * d + k] = op_in(c, "wn")[k];
        }
    for (size_t k = 0; k < op_dim(c, 'T') * N; k++) op_in(c, "noise")[k] = 0.5;
}

static const op_spec noisy_cases[] = {
    {"small", "smoke", "T=3,d=4,N=4", "k=2", "", "a first look", NULL},
    {"random", "core", "T=16,d=8,N=6", "k=2", "", "standard normal tokens and noise", NULL},
    {"epsilon", "core", "T=12,d=6,N=5", "k=2,epsilon=0.0078125", "NoisyEpsilonMissing",
     "with fastmoe's kind of epsilon", NULL},
    {"top-3", "core", "T=8,d=5,N=6", "k=3", "", "three experts a token", NULL},
    {"all-chosen", "core", "T=5,d=4,N=4", "k=4", "", "K = N: noise moves the weights, not the set", NULL},
    {"one-token", "core", "T=1,d=5,N=5", "k=2", "", "a batch of one", NULL},
    {"no-tokens", "core", "T=0,d=3,N=4", "k=2", "", "no tokens: gradients of the weights exactly 0", NULL},
    {"quiet", "core", "T=8,d=6,N=5", "k=2", "", "noise 0: clean scores decide, wn has gradient 0", fill_noisy_quiet},
    {"start", "adversarial", "T=8,d=6,N=6", "k=2", "NoiseIgnored",
     "both matrices 0, as in the paper at the start: the noise alone decides, std = ln 2", fill_noisy_start},
    {"reversed", "adversarial", "T=6,d=3,N=5", "k=2", "NoiseIgnored,NoisyStd,NoisyWeights,NoiseGrad",
     "noise that turns the order around: selection, weights and gradients by clean scores show, and so does a standard "
     "deviation without the softplus",
     fill_noisy_reversed},
    {"tails", "adversarial", "T=6,d=4,N=6", "k=2", "NaiveSoftplus",
     "softplus at about -40 and +40: log(1 + e^z) is 0 there, or overflows in half precision", fill_noisy_tails},
    {"faint", "adversarial", "T=6,d=3,N=5", "k=2", "NoisyEpsilon",
     "a standard deviation of 1/3000, large draws: fastmoe's 0.01 for the paper's 0 shows; laekov/fastmoe",
     fill_noisy_faint},
    {"faint-epsilon", "adversarial", "T=6,d=3,N=5", "k=2,epsilon=0.0078125", "NoisyEpsilonMissing",
     "the same where an epsilon is meant", fill_noisy_faint},
    {"beyond-20", "adversarial", "T=6,d=3,N=5", "k=2", "SoftplusThreshold",
     "softplus between 20 and 23, where PyTorch's is the identity", fill_noisy_beyond},
    {"top-1", "adversarial", "T=9,d=5,N=5", "k=1", "TopOneZeroGrad",
     "weight 1 and gradients 0, exactly; NVIDIA/Megatron-LM#894", NULL},
    {"equal", "adversarial", "T=6,d=4,N=4", "k=2", "ties,TieOrder",
     "all experts alike, noise and all: experts 0 and 1, weights 1/2", fill_noisy_equal},
    {"large", "large", "T=64,d=64,N=8", "k=2", "", "sums of 64 terms", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- gate.sigmoid ------------------------------------------------------------------------------------------------- */

static const op_tensor logits_in[] = {
    {"r", "T,N", OP_INPUT, OP_DIFF, "router logits"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor sigmoid_out[] = {
    {"index", "T,K", OP_DECISION, OP_I64, "the K experts of each token, largest logit first"},
    {"weight", "T,K", OP_BOUNDED, OP_DIFF, "sigmoid of the selected logits, divided by their sum if normalised"},
    {"margin", "T", OP_STAGE, OP_MARGIN, "K-th minus (K+1)-th largest logit, +inf if K = N"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param sigmoid_param[] = {
    {"k", OP_INT, "2", "experts a token"},
    {"normalise", OP_CHOICE, "yes|no", "divide by the sum over the selected"},
    {NULL, OP_INT, NULL, NULL},
};

static smoe_status sigmoid_run(op_case *c, bool gradients)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K');
    const smoe_sigmoid_form form = op_is(c, "normalise", "yes") ? SMOE_SIGMOID_NORM : SMOE_SIGMOID_PLAIN;
    size_t *index = op_room(T * K, sizeof *index);
    double *value = op_room(T * K, sizeof *value), *dvalue = op_room(K, sizeof *dvalue);
    smoe_status status =
        smoe_gate_sigmoid(form, T, N, K, op_in(c, "r"), index, op_out(c, "weight"), op_out(c, "margin"), value);
    if (status == SMOE_OK && gradients)
        status = smoe_gate_sigmoid_vjp(form, T, N, K, index, value, op_out(c, "weight"), op_cot(c, "weight"),
                                       op_grad(c, "r"), dvalue);
    to_i64(T * K, index, op_out_i64(c, "index"));
    free(index);
    free(value);
    free(dvalue);
    return status;
}

static smoe_status sigmoid_forward(op_case *c) { return sigmoid_run(c, false); }
static smoe_status sigmoid_vjp(op_case *c) { return sigmoid_run(c, true); }

static void fill_apart(op_case *c, op_rng *r) { op_fill_apart(r, 0.25, op_dim(c, 'T'), op_dim(c, 'N'), op_in(c, "r")); }

/* Logits in a descending row, the best of token t at expert t. */
static void descending(op_case *c, double first, double step)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) op_in(c, "r")[t * N + (t + i) % N] = first - step * (double)i;
}

static void fill_low(op_case *c, op_rng *r)
{
    (void)r;
    descending(c, -6, 1.5);
}
/* Cotangents of 1/64, so that over a sum of 1e-6 they are finite in binary16 too. */
static void fill_vanishing(op_case *c, op_rng *r)
{
    (void)r;
    descending(c, -14, 1);
    for (size_t a = 0; a < op_dim(c, 'T') * op_dim(c, 'K'); a++) op_cot(c, "weight")[a] = a % 2 == 0 ? 0x1p-6 : -0x1p-6;
}
static void fill_high(op_case *c, op_rng *r)
{
    (void)r;
    descending(c, 12, 1.5);
}
static void fill_spread(op_case *c, op_rng *r)
{
    (void)r;
    descending(c, 4, 4);
}
static void fill_far(op_case *c, op_rng *r)
{
    (void)r;
    descending(c, 256, 256);
}
static void fill_level(op_case *c, op_rng *r)
{
    (void)r;
    for (size_t k = 0; k < op_dim(c, 'T') * op_dim(c, 'N'); k++) op_in(c, "r")[k] = 0;
}

static const op_spec sigmoid_cases[] = {
    {"small", "smoke", "T=4,N=4", "k=2", "", "a first look", fill_apart},
    {"random", "core", "T=16,N=8", "k=2", "", "standard normal logits", NULL},
    {"random-plain", "core", "T=16,N=8", "k=2,normalise=no", "", "not normalised", NULL},
    {"apart-3", "core", "T=12,N=6", "k=3", "", "decisions that no precision doubts", fill_apart},
    {"top-1-plain", "core", "T=9,N=5", "k=1,normalise=no", "", "K = 1 has a gradient when it is not normalised",
     fill_apart},
    {"all-chosen", "core", "T=5,N=4", "k=4", "", "K = N", fill_apart},
    {"one-expert", "core", "T=3,N=1", "k=1,normalise=no", "", "N = 1", NULL},
    {"no-tokens", "core", "T=0,N=4", "k=2", "", "nothing in, nothing out", NULL},
    {"low", "adversarial", "T=6,N=6", "k=2", "SigmoidUnnormalised,SigmoidSoftmax,LblEpsHack",
     "sigmoids of 1/400 and less: unnormalised weights are tiny, and an epsilon in the sum shows", fill_low},
    {"low-plain", "adversarial", "T=6,N=6", "k=2,normalise=no", "SigmoidNormalised,SigmoidSoftmax",
     "the same, not normalised", fill_low},
    {"vanishing", "adversarial", "T=6,N=6", "k=2", "SigmoidUnnormalised,LblEpsHack",
     "sigmoids of 8e-7 and less: their shares are weights like any others, but for an epsilon of 1e-7 in the sum; "
     "NVIDIA/Megatron-LM#1545",
     fill_vanishing},
    {"high", "adversarial", "T=6,N=6", "k=2", "SigmoidUnnormalised,SigmoidSoftmax",
     "saturated: weights near 1/2 whatever the logits' distance, where a softmax gives 0.82 and 0.18", fill_high},
    {"high-plain", "adversarial", "T=6,N=6", "k=2,normalise=no", "SigmoidNormalised,SigmoidSoftmax",
     "saturated: weights near 1, gradients near 0", fill_high},
    {"spread", "adversarial", "T=6,N=6", "k=3", "SigmoidUnnormalised,SigmoidSoftmax,SwappedWeights",
     "logits 4, 0, -4: sigmoids 0.98, 0.5, 0.018", fill_spread},
    {"far", "adversarial", "T=4,N=4", "k=3,normalise=no", "NaiveSigmoid",
     "logits of hundreds, of both signs: e^-r overflows in a sigmoid written as 1/(1+e^-r) without care", fill_far},
    {"top-1", "adversarial", "T=9,N=5", "k=1", "exact,TopOneZeroGrad,SigmoidUnnormalised",
     "normalised at K = 1: weight 1 and gradient 0, exactly", fill_apart},
    {"level", "adversarial", "T=6,N=4", "k=2", "ties,exact,TieOrder,SigmoidUnnormalised",
     "all logits 0: experts 0 and 1, weights 1/2", fill_level},
    {"level-plain", "adversarial", "T=6,N=4", "k=3,normalise=no", "ties,exact,TieOrder,SigmoidNormalised",
     "all logits 0: weights 1/2 each, gradients a quarter of the cotangents", fill_level},
    {"large", "large", "T=64,N=64", "k=8", "", "sixty-four experts, eight a token", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- gate.dropout ------------------------------------------------------------------------------------------------- */

static const op_tensor dropout_in[] = {
    {"x", "T,d", OP_INPUT, OP_DIFF, "tokens"},
    {"wr", "N,d", OP_INPUT, 0, "the router's weights: random and frozen, so no gradient is owed"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor dropout_out[] = {
    {"index", "T,K", OP_DECISION, OP_I64, "TopK(r): the K experts of each token, largest logit first"},
    {"weight", "T,K", OP_BOUNDED, OP_DIFF, "softmax of the selected logits, in the order of index"},
    {"margin", "T", OP_STAGE, OP_MARGIN, "K-th minus (K+1)-th largest logit, +inf if K = N"},
    {"r", "T,N", OP_STAGE, 0, "router logits, r = Wr x"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param dropout_param[] = {
    {"k", OP_INT, "2", "experts a token at this step: gate.dropout.schedule"},
    {NULL, OP_INT, NULL, NULL},
};

static smoe_status dropout_run(op_case *c, bool gradients)
{
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd'), N = op_dim(c, 'N'), K = op_dim(c, 'K');
    size_t *index = op_room(T * K, sizeof *index);
    double *value = op_room(K, sizeof *value), *dr = op_room(N, sizeof *dr);
    smoe_status status = smoe_gate_frozen(T, d, N, K, op_in(c, "x"), op_in(c, "wr"), op_out(c, "r"), index,
                                          op_out(c, "weight"), op_out(c, "margin"), value);
    if (status == SMOE_OK && gradients)
        status = smoe_gate_frozen_vjp(T, d, N, K, op_in(c, "wr"), index, op_out(c, "weight"), op_cot(c, "weight"),
                                      op_grad(c, "x"), dr, value);
    to_i64(T * K, index, op_out_i64(c, "index"));
    free(index);
    free(value);
    free(dr);
    return status;
}

static smoe_status dropout_forward(op_case *c) { return dropout_run(c, false); }
static smoe_status dropout_vjp(op_case *c) { return dropout_run(c, true); }

/* Integers with distinct logits: one coordinate of the token is 1, and the router's columns are permutations. */
static void fill_unit_tokens(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd'), N = op_dim(c, 'N');
    (void)r;
    for (size_t t = 0; t < T; t++)
        for (size_t k = 0; k < d; k++) op_in(c, "x")[t * d + k] = k == t % d ? 1 : 0;
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < d; k++) op_in(c, "wr")[i * d + k] = 1.5 * (double)((i + k) % N);
}

static void fill_same_rows(op_case *c, op_rng *r)
{
    op_fill_default(c, r);
    const size_t d = op_dim(c, 'd'), N = op_dim(c, 'N');
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < d; k++) op_in(c, "wr")[i * d + k] = op_in(c, "wr")[k];
}

static const op_spec dropout_cases[] = {
    {"small", "smoke", "T=3,d=4,N=4", "k=2", "", "a first look", NULL},
    {"random", "core", "T=16,d=8,N=8", "k=4", "", "half of the experts", NULL},
    {"start", "core", "T=12,d=6,N=6", "k=1", "", "one expert: weight 1, no gradient", NULL},
    {"all-chosen", "core", "T=8,d=6,N=6", "k=6", "", "the end of the schedule: K = N, all experts", NULL},
    {"one-token", "core", "T=1,d=5,N=4", "k=2", "", "a batch of one", NULL},
    {"no-tokens", "core", "T=0,d=3,N=4", "k=2", "", "nothing in, nothing out", NULL},
    {"unit", "adversarial", "T=6,d=3,N=5", "k=3", "NormTopK,SwappedWeights,FrozenDetach,TransposedWeights",
     "logits 1.5 apart: renormalised weights 0.79, 0.17, 0.04; a gate that detaches the frozen logits has no gradient",
     fill_unit_tokens},
    {"unit-8", "adversarial", "T=8,d=4,N=16", "k=8", "NormTopK,FrozenDetach",
     "the official schedule's start: 8 of 16 experts", fill_unit_tokens},
    {"equal", "adversarial", "T=6,d=4,N=4", "k=2", "ties,TieOrder", "equal experts: 0 and 1, weights 1/2",
     fill_same_rows},
    {"top-1", "adversarial", "T=6,d=3,N=5", "k=1", "TopOneZeroGrad", "weight 1 and gradient 0, exactly",
     fill_unit_tokens},
    {"large", "large", "T=64,d=64,N=16", "k=8", "", "sixteen experts, eight a token", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- gate.dropout.schedule ---------------------------------------------------------------------------------------- */

static const op_tensor schedule_in[] = {
    {"step", "n", OP_INPUT, OP_I64, "steps of training; below 0 counts as 0, above `steps` as `steps`"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor schedule_out[] = {
    {"k", "n", OP_EXACT, OP_I64, "experts a token at each of them"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param schedule_param[] = {
    {"k_min", OP_INT, "1", "experts a token at step 0"},
    {"k_max", OP_INT, "2", "experts a token from `steps` on"},
    {"steps", OP_INT, "10", "length of the schedule"},
    {"round", OP_CHOICE, "even|away", "halves to the even number (Python's round) or away from 0 (C's)"},
    {NULL, OP_INT, NULL, NULL},
};

/* 2^31 is more than any training has of either, and products of two such numbers are safe. */
static const char *schedule_check(const op_case *c)
{
    const long k_min = op_int(c, "k_min"), k_max = op_int(c, "k_max"), steps = op_int(c, "steps");
    if (k_min < 1) return "k_min must be at least 1: a token has at least one expert";
    if (k_max < k_min) return "k_max must be at least k_min: the number of experts grows";
    if (steps < 1) return "steps must be at least 1";
    return k_max > 0x7fffffff || steps > 0x7fffffff ? "k_max and steps must be below 2^31" : NULL;
}

static smoe_status schedule_forward(op_case *c)
{
    const size_t n = op_dim(c, 'n');
    size_t *k = op_room(n, sizeof *k);
    const smoe_status status = smoe_dropout_schedule(n, op_in_i64(c, "step"), (size_t)op_int(c, "k_min"),
                                                     (size_t)op_int(c, "k_max"), (size_t)op_int(c, "steps"),
                                                     op_is(c, "round", "even") ? SMOE_HALF_EVEN : SMOE_HALF_AWAY, k);
    to_i64(n, k, op_out_i64(c, "k"));
    free(k);
    return status;
}

/* 0, 1, 2, ... */
static void fill_steps(op_case *c, op_rng *r)
{
    (void)r;
    for (size_t i = 0; i < op_dim(c, 'n'); i++) op_in_i64(c, "step")[i] = (int64_t)i;
}

/* -3, -2, ... */
static void fill_steps_before(op_case *c, op_rng *r)
{
    (void)r;
    for (size_t i = 0; i < op_dim(c, 'n'); i++) op_in_i64(c, "step")[i] = (int64_t)i - 3;
}

static void fill_steps_wild(op_case *c, op_rng *r)
{
    static const int64_t wild[] = {INT64_MIN, -1, 0, 1, 199999, 200000, 400000, INT64_MAX};
    (void)r;
    for (size_t i = 0; i < op_dim(c, 'n'); i++) op_in_i64(c, "step")[i] = wild[i % 8];
}

static void fill_steps_random(op_case *c, op_rng *r)
{
    for (size_t i = 0; i < op_dim(c, 'n'); i++)
        op_in_i64(c, "step")[i] = (int64_t)op_below(r, (uint64_t)op_int(c, "steps"));
}

/* Steps at which the exact value is a half, and their neighbours: steps = 2 (k_max - k_min) m. */
static void fill_steps_half(op_case *c, op_rng *r)
{
    (void)r;
    const int64_t m = op_int(c, "steps") / (2 * (op_int(c, "k_max") - op_int(c, "k_min")));
    for (size_t i = 0; i < op_dim(c, 'n'); i++)
        op_in_i64(c, "step")[i] = m * (2 * (int64_t)(i / 3) + 1) + (int64_t)(i % 3) - 1;
}

static const op_spec schedule_cases[] = {
    {"small", "smoke", "n=12", "", "exact", "a first look: 1 to 2 experts in 10 steps", fill_steps},
    {"official", "core", "n=64", "k_min=8,k_max=16,steps=400000", "exact", "the official enwik8 script: 8 to 16 of 16",
     fill_steps_random},
    {"constant", "core", "n=8", "k_min=2,k_max=2", "exact", "nothing to raise", fill_steps},
    {"all-steps", "core", "n=45", "k_min=1,k_max=4,steps=40", "exact", "every step of a short schedule, and beyond it",
     fill_steps},
    {"one-step", "core", "n=4", "k_min=1,k_max=5,steps=1", "exact", "a schedule of one step", fill_steps},
    {"none", "core", "n=0", "", "exact", "nothing in, nothing out", NULL},
    {"clamped", "adversarial", "n=20", "k_min=2,k_max=6,steps=8", "exact,ScheduleClamp",
     "steps before the start and after the end: k stays within k_min and k_max", fill_steps_before},
    {"wild", "adversarial", "n=8", "k_min=8,k_max=16,steps=400000", "exact,ScheduleClamp",
     "the smallest and the largest 64-bit step", fill_steps_wild},
    {"halves", "adversarial", "n=24", "k_min=8,k_max=16,steps=1600", "exact,ScheduleRound,ScheduleFloor",
     "exact halves and their neighbours, to even", fill_steps_half},
    {"halves-away", "adversarial", "n=24", "k_min=8,k_max=16,steps=1600,round=away",
     "exact,ScheduleRound,ScheduleFloor", "exact halves and their neighbours, away from zero", fill_steps_half},
    {"halves-odd", "adversarial", "n=18", "k_min=1,k_max=7,steps=120", "exact,ScheduleRound",
     "k_min is odd: rounding after it was added would give the other even number", fill_steps_half},
    {"large", "large", "n=4096", "k_min=8,k_max=16,steps=400000", "exact", "many steps of the official schedule",
     fill_steps_random},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- gate.gshard -------------------------------------------------------------------------------------------------- */

static const op_tensor gshard_in[] = {
    {"r", "T,N", OP_INPUT, OP_DIFF, "router logits"},
    {"u", "T", OP_INPUT, 0, "uniform draws from [0,1), one a token; used by policy=random only"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor gshard_out[] = {
    {"index", "T,2", OP_DECISION, OP_I64, "the two experts of each token, largest logit first"},
    {"weight", "T,2", OP_BOUNDED, OP_DIFF, "their weights, 0 where a choice is not kept"},
    {"kept", "T,2", OP_BOUNDED, 0, "1 where a choice was sent and its expert had room, else 0"},
    {"margin", "T", OP_STAGE, OP_MARGIN, "second minus third largest logit, +inf if N = 2"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param gshard_param[] = {
    {"capacity", OP_INT, "0", "tokens that an expert takes at most; 0: any number"},
    {"policy", OP_CHOICE, "random|threshold|all|none",
     "when the second choice is sent: 2 share > u, share > threshold"},
    {"threshold", OP_REAL, "0.25", "for policy=threshold"},
    {"normalise", OP_CHOICE, "before|after", "weights sum to 1 before choices are dropped, or over what is kept"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *gshard_check(const op_case *c)
{
    if (op_dim(c, 'N') < 2) return "N must be at least 2: a token has two choices";
    return op_int(c, "capacity") < 0 ? "capacity must be at least 0 (0 means any number)" : NULL;
}

static smoe_second policy_of(const op_case *c)
{
    if (op_is(c, "policy", "random")) return SMOE_SECOND_RANDOM;
    if (op_is(c, "policy", "threshold")) return SMOE_SECOND_THRESHOLD;
    return op_is(c, "policy", "all") ? SMOE_SECOND_ALL : SMOE_SECOND_NONE;
}

static smoe_status gshard_run(op_case *c, bool gradients)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    const smoe_norm_when norm = op_is(c, "normalise", "before") ? SMOE_NORM_BEFORE : SMOE_NORM_AFTER;
    size_t *index = op_room(2 * T, sizeof *index), *kept = op_room(2 * T, sizeof *kept),
           *count = op_room(N, sizeof *count);
    double *share = op_room(2 * T, sizeof *share), *p = op_room(N, sizeof *p);
    smoe_status status = smoe_gate_gshard(T, N, (size_t)op_int(c, "capacity"), policy_of(c), op_real(c, "threshold"),
                                          norm, op_in(c, "r"), op_in(c, "u"), index, op_out(c, "weight"), kept,
                                          op_out(c, "margin"), share, p, count);
    if (status == SMOE_OK && gradients)
        status = smoe_gate_gshard_vjp(T, N, norm, index, kept, share, op_out(c, "weight"), op_cot(c, "weight"),
                                      op_grad(c, "r"));
    to_i64(2 * T, index, op_out_i64(c, "index"));
    for (size_t a = 0; a < 2 * T; a++) op_out(c, "kept")[a] = (double)kept[a];
    free(index);
    free(kept);
    free(count);
    free(share);
    free(p);
    return status;
}

static smoe_status gshard_forward(op_case *c) { return gshard_run(c, false); }
static smoe_status gshard_vjp(op_case *c) { return gshard_run(c, true); }

/* Draws at least an eighth away from twice the second share, so that no precision doubts them. */
static void draws(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    for (size_t t = 0; t < T; t++) {
        double best = -INFINITY, second = -INFINITY;
        for (size_t i = 0; i < N; i++) {
            const double z = op_in(c, "r")[t * N + i];
            if (z > best) {
                second = best;
                best = z;
            } else if (z > second) {
                second = z;
            }
        }
        const double twice = 2 * smoe_sigmoid(second - best); /* p_2 / (p_1 + p_2) */
        const double u = (double)op_below(r, 128) / 128;
        op_in(c, "u")[t] = fabs(u - twice) >= 0.125 ? u : u < 0.5 ? u + 0.25 : u - 0.25;
    }
}

static void fill_gshard(op_case *c, op_rng *r)
{
    fill_apart(c, r);
    draws(c, r);
}

/* The second share is 1/(1 + e^gap): 0.38 and 0.12 by turns, on either side of the threshold 1/4. */
static void fill_gshard_gaps(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) {
            const size_t rank = (i + t) % N;
            op_in(c, "r")[t * N + i] = rank == 0 ? 0 : rank == 1 ? (t % 2 == 0 ? -0.5 : -2) : -3 - (double)rank;
        }
    draws(c, r);
}

/* All tokens want expert 0 first and expert 1 second, but for one in four that wants them the other way round. */
static void fill_gshard_crowd(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) {
            const size_t first = t % 4 == 2 ? 1 : 0;
            op_in(c, "r")[t * N + i] = i == first ? 1 : i == 1 - first ? 0.25 : -1 - (double)i;
        }
    draws(c, r);
}

/* u = 0 sends every second choice, u = 1 - 2^-7 none that is behind. */
static void fill_gshard_ends(op_case *c, op_rng *r)
{
    fill_gshard_gaps(c, r);
    for (size_t t = 0; t < op_dim(c, 'T'); t++) op_in(c, "u")[t] = t % 2 == 0 ? 0 : 0.9921875;
}

static void fill_gshard_equal(op_case *c, op_rng *r)
{
    (void)r;
    for (size_t k = 0; k < op_dim(c, 'T') * op_dim(c, 'N'); k++) op_in(c, "r")[k] = 1;
    for (size_t t = 0; t < op_dim(c, 'T'); t++) op_in(c, "u")[t] = 0.75;
}

static const op_spec gshard_cases[] = {
    {"small", "smoke", "T=4,N=4", "", "", "a first look", fill_gshard},
    {"random", "core", "T=16,N=8", "", "", "the second choice goes with probability 2 g2", fill_gshard},
    {"threshold", "core", "T=12,N=6", "policy=threshold", "", "second shares of 0.38 and 0.12 against 1/4",
     fill_gshard_gaps},
    {"all", "core", "T=12,N=6", "policy=all", "", "every second choice is sent: G.4 with K = 2", fill_gshard},
    {"none", "core", "T=12,N=6", "policy=none", "", "no second choice: the first keeps its share only", fill_gshard},
    {"none-after", "core", "T=12,N=6", "policy=none,normalise=after", "", "no second choice: weight 1, gradient 0",
     fill_gshard},
    {"capacity", "core", "T=12,N=4", "capacity=5", "", "room for five", fill_gshard},
    {"two-experts", "core", "T=6,N=2", "", "", "N = 2: no third expert, margin +inf", fill_gshard},
    {"no-tokens", "core", "T=0,N=4", "", "", "nothing in, nothing out", NULL},
    {"crowd", "adversarial", "T=8,N=4", "capacity=3,policy=all",
     "CapacityDrop,GshardOrder,GshardLastFirst,GshardRenorm,GshardDropped,GshardGrad",
     "six first choices for three places: first choices go before second ones whatever the token, drops lose weight",
     fill_gshard_crowd},
    {"crowd-after", "adversarial", "T=8,N=4", "capacity=3,policy=all,normalise=after",
     "CapacityDrop,GshardOrder,GshardLastFirst,GshardRenorm,GshardDropped",
     "the same, weights over what is kept: 1 alone, 0 if nothing is", fill_gshard_crowd},
    {"crowd-7", "adversarial", "T=8,N=4", "capacity=7,policy=all", "CapacityDrop,GshardOrder",
     "room for all first choices, not for all second ones", fill_gshard_crowd},
    {"one-place", "adversarial", "T=8,N=4", "capacity=1,policy=all,normalise=after", "CapacityDrop,GshardOrder",
     "room for one: most tokens get nothing", fill_gshard_crowd},
    {"gaps", "adversarial", "T=12,N=5", "",
     "GshardSecond,SecondAlways,GshardRenorm,GshardGrad,NormTopK,NormaliserDetached",
     "draws on both sides of 2 g2: comparing g2 itself, or the share before it was normalised, sends others",
     fill_gshard_gaps},
    {"gaps-after", "adversarial", "T=12,N=5", "normalise=after", "GshardSecond,GshardRenorm",
     "the same, weights over what is kept", fill_gshard_gaps},
    {"ends", "adversarial", "T=8,N=5", "", "GshardSecond,SecondAlways", "draws of 0 and nearly 1: always and never",
     fill_gshard_ends},
    {"equal", "adversarial", "T=6,N=4", "capacity=4", "ties,exact,TieOrder,CapacityDrop",
     "equal logits: experts 0 and 1, shares 1/2, 2 g2 = 1 is above every draw; laekov/fastmoe#129", fill_gshard_equal},
    {"large", "large", "T=64,N=16", "capacity=10", "", "sixteen experts with room for ten", fill_gshard},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- gate.hyper --------------------------------------------------------------------------------------------------- */

static const op_tensor hyper_in[] = {
    {"x", "T,d", OP_INPUT, OP_DIFF, "tokens"},
    {"e", "m", OP_INPUT, OP_DIFF, "the router's embedding: the only thing that is trained"},
    {"v1", "g,m", OP_INPUT, 0, "first layer of the hypernetwork: random and frozen"},
    {"v2", "N,d,g", OP_INPUT, 0, "second layer of the hypernetwork: random and frozen"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor hyper_out[] = {
    {"r", "T,N", OP_BOUNDED, OP_DIFF, "router logits, r = Wr x"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};

static const char *hyper_check(const op_case *c)
{
    if (op_dim(c, 'm') < 1) return "m must be at least 1: the embedding has no coordinates";
    if (op_dim(c, 'g') < 1) return "g must be at least 1: the hypernetwork has no hidden unit";
    return linear_check(c);
}

static smoe_status hyper_run(op_case *c, bool gradients)
{
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd'), N = op_dim(c, 'N'), m = op_dim(c, 'm'), g = op_dim(c, 'g');
    double *z = op_room(g, sizeof *z), *wr = op_room(N * d, sizeof *wr);
    double *dz = op_room(g, sizeof *dz), *dwr = op_room(N * d, sizeof *dwr);
    smoe_status status = smoe_gate_hyper(T, d, N, m, g, op_in(c, "x"), op_in(c, "e"), op_in(c, "v1"), op_in(c, "v2"),
                                         op_out(c, "r"), z, wr);
    if (status == SMOE_OK && gradients)
        status = smoe_gate_hyper_vjp(T, d, N, m, g, op_in(c, "x"), op_in(c, "v1"), op_in(c, "v2"), z, wr,
                                     op_cot(c, "r"), op_grad(c, "x"), op_grad(c, "e"), dwr, dz);
    free(z);
    free(wr);
    free(dz);
    free(dwr);
    return status;
}

static smoe_status hyper_forward(op_case *c) { return hyper_run(c, false); }
static smoe_status hyper_vjp(op_case *c) { return hyper_run(c, true); }

/* The hypernetwork's layers with variance 1/fan-in, so that logits are of the size of 1. */
static void fill_hyper(op_case *c, op_rng *r)
{
    const size_t m = op_dim(c, 'm'), g = op_dim(c, 'g'), Nd = op_dim(c, 'N') * op_dim(c, 'd');
    op_fill_normal(r, 1, op_dim(c, 'T') * op_dim(c, 'd'), op_in(c, "x"));
    op_fill_normal(r, 1, m, op_in(c, "e"));
    op_fill_normal(r, sqrt(1 / (double)m), g * m, op_in(c, "v1"));
    op_fill_normal(r, sqrt(1 / (double)(g * op_dim(c, 'd'))), Nd * g, op_in(c, "v2"));
}

/* Integers; hidden unit a has the argument a - 2: below, at and above the kink. */
static void fill_hyper_kink(op_case *c, op_rng *r)
{
    const size_t m = op_dim(c, 'm'), g = op_dim(c, 'g');
    for (size_t i = 0; c->op->in[i].name; i++) integers(r, c->in[i].count, c->in[i].f64);
    integers(r, op_dim(c, 'T') * op_dim(c, 'N'), op_cot(c, "r"));
    for (size_t k = 0; k < m; k++) op_in(c, "e")[k] = k == 0 ? 1 : 0;
    for (size_t a = 0; a < g; a++) op_in(c, "v1")[a * m] = (double)a - 2;
}

/* Every hidden unit is off: the router is 0, and so is the gradient of the embedding. */
static void fill_hyper_dead(op_case *c, op_rng *r)
{
    const size_t m = op_dim(c, 'm');
    fill_hyper(c, r);
    for (size_t k = 0; k < m; k++) op_in(c, "e")[k] = fabs(op_in(c, "e")[k]);
    for (size_t k = 0; k < op_dim(c, 'g') * m; k++) op_in(c, "v1")[k] = -fabs(op_in(c, "v1")[k]);
}

static const op_spec hyper_cases[] = {
    {"small", "smoke", "T=3,d=4,N=4,m=3,g=5", "", "", "a first look", fill_hyper},
    {"random", "core", "T=16,d=8,N=6,m=5,g=7", "", "", "layers of variance 1/fan-in", fill_hyper},
    {"one-token", "core", "T=1,d=5,N=3,m=4,g=4", "", "", "a batch of one", fill_hyper},
    {"one-unit", "core", "T=4,d=5,N=4,m=1,g=1", "", "", "an embedding of one number, one hidden unit", fill_hyper},
    {"no-tokens", "core", "T=0,d=3,N=4,m=3,g=4", "", "", "no tokens: the embedding's gradient is exactly 0",
     fill_hyper},
    {"kink", "adversarial", "T=4,d=3,N=3,m=3,g=5", "", "exact,HyperLinear,HyperDetach,ReluKink",
     "hidden units below, at and above 0: without the ReLU, or with a slope at 0, other values; integers, exact",
     fill_hyper_kink},
    {"dead", "adversarial", "T=4,d=4,N=3,m=3,g=4", "", "HyperLinear",
     "all hidden units off: logits 0, gradient of the embedding 0", fill_hyper_dead},
    {"square", "adversarial", "T=5,d=4,N=4,m=4,g=4", "", "HyperTransposed,HyperLinear",
     "N = d = m = g, so that a transposed layer fits, and shows", fill_hyper},
    {"large", "large", "T=64,d=64,N=8,m=16,g=32", "", "", "sums of 64 and of 512 terms", fill_hyper},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- gate.entropy ------------------------------------------------------------------------------------------------- */

static const op_tensor entropy_in[] = {
    {"r", "T,N", OP_INPUT, 0, "router logits"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor entropy_out[] = {
    {"entropy", "T", OP_BOUNDED, 0, "-sum p ln p of each token, p = softmax(r); in nats"},
    {"mean", "", OP_BOUNDED, 0, "its mean over the tokens"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};

static const char *entropy_check(const op_case *c)
{
    if (op_dim(c, 'T') < 1) return "T must be at least 1: there is no mean of nothing";
    return op_dim(c, 'N') < 1 ? "N must be at least 1: there is no expert" : NULL;
}

static smoe_status entropy_forward(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    double *p = op_room(N, sizeof *p), *log_p = op_room(N, sizeof *log_p);
    const smoe_status status =
        smoe_gate_entropy(T, N, op_in(c, "r"), op_out(c, "entropy"), op_out(c, "mean"), p, log_p);
    free(p);
    free(log_p);
    return status;
}

static const op_spec entropy_cases[] = {
    {"small", "smoke", "T=4,N=4", "", "", "a first look", NULL},
    {"random", "core", "T=16,N=8", "", "", "standard normal logits", NULL},
    {"one-token", "core", "T=1,N=6", "", "", "the mean of one", NULL},
    {"one-expert", "core", "T=3,N=1", "", "exact", "one expert: entropy 0", NULL},
    {"two-experts", "core", "T=8,N=2", "", "", "N = 2", NULL},
    {"level", "adversarial", "T=5,N=6", "", "EntropyBits,EntropyNormalised", "all logits 0: ln 6, the largest possible",
     fill_level},
    {"spread", "adversarial", "T=6,N=6", "", "EntropyOfProbs,EntropyBits,EntropyNormalised,EntropySign,EntropyMean",
     "a clear leader: 0.09 nats; an entropy of softmax(softmax(r)) stays near ln 6", fill_spread},
    {"far", "adversarial", "T=4,N=4", "", "EntropyOfProbs,NaiveEntropy",
     "probabilities that underflow: 0 ln 0 is 0, not NaN", fill_far},
    {"large", "large", "T=64,N=64", "", "", "sixty-four experts", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

const op_record op_gate_noisy[] = {
    {"gate.jitter", "Jittered linear gate", "G.5", "r = Wr (x * noise) + br",
     "Fedus et al. 2022 and its public code (from memory, high confidence)",
     "ref/gate.c: smoe_gate_jitter, smoe_gate_jitter_vjp, smoe_jitter", jitter_in, jitter_out, NULL, jitter_cases,
     linear_check, jitter_forward, jitter_vjp},
    {"gate.noisy", "Noisy top-k gating", "G.6",
     "noisy = x Wg' + noise * (softplus(x Wn') + epsilon); I = TopK(noisy); weight = softmax(noisy_I)",
     "Shazeer et al. 2017, eqs. (3) to (5) (from memory, high confidence); epsilon: fastmoe (read)",
     "ref/gate.c: smoe_gate_noisy, smoe_gate_noisy_vjp, smoe_noisy_scores, smoe_noisy_scores_vjp", noisy_in, noisy_out,
     noisy_param, noisy_cases, noisy_check, noisy_forward, noisy_vjp},
    {"gate.sigmoid", "Sigmoid weights", "G.7",
     "I = TopK(r); weight = sigmoid(r_I) / sum sigmoid(r_I), or without the division",
     "Csordas et al. 2023 and 2024 (from memory, high confidence); public code of CompeteSMoE v2 (read)",
     "ref/gate.c: smoe_gate_sigmoid, smoe_gate_sigmoid_vjp, smoe_weights_sigmoid, smoe_weights_sigmoid_norm", logits_in,
     sigmoid_out, sigmoid_param, sigmoid_cases, topk_check, sigmoid_forward, sigmoid_vjp},
    {"gate.dropout", "SMoE-Dropout's frozen gate", "G.8", "r = Wr x, Wr frozen; I = TopK(r); weight = softmax(r_I)",
     "Chen et al. 2023 (from memory, high confidence); its public code (read)",
     "ref/gate.c: smoe_gate_frozen, smoe_gate_frozen_vjp, smoe_gate_frozen_token", dropout_in, dropout_out,
     dropout_param, dropout_cases, routed_check, dropout_forward, dropout_vjp},
    {"gate.dropout.schedule", "SMoE-Dropout's schedule of K", "G.9",
     "k = round((k_max - k_min) t / steps) + k_min, t clamped to 0 .. steps",
     "public code of Chen et al. 2023 (read); the rounding of halves is a parameter",
     "ref/gate.c: smoe_dropout_schedule", schedule_in, schedule_out, schedule_param, schedule_cases, schedule_check,
     schedule_forward, NULL},
    {"gate.gshard", "GShard's top-2 gate", "G.10",
     "share = softmax(r)_I / sum, I = Top2(r); second sent if 2 share_2 > u; first choices fill experts before second",
     "Lepikhin et al. 2020, Algorithm 1 (from memory, high confidence); policies: public code (read)",
     "ref/gate.c: smoe_gate_gshard, smoe_gate_gshard_vjp, smoe_gshard_capacity", gshard_in, gshard_out, gshard_param,
     gshard_cases, gshard_check, gshard_forward, gshard_vjp},
    {"gate.hyper", "HyperRouter's gate", "G.11", "z = ReLU(V1 e); Wr = V2 z; r = Wr x",
     "Do et al. 2023 (from memory; the frozen hypernetwork with high confidence, its two layers with medium)",
     "ref/gate.c: smoe_gate_hyper, smoe_gate_hyper_vjp, smoe_hyper_weights, smoe_hyper_weights_vjp", hyper_in,
     hyper_out, NULL, hyper_cases, hyper_check, hyper_forward, hyper_vjp},
    {"gate.entropy", "Entropy of the router", "G.17", "H_t = -sum_i p ln p, p = softmax(r_t); mean over the tokens",
     "Shannon's definition; as a diagnostic of routers common in public code (from memory)",
     "ref/gate.c: smoe_gate_entropy, smoe_gate_entropy_token", entropy_in, entropy_out, NULL, entropy_cases,
     entropy_check, entropy_forward, NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
