/* Operations of chapter B beyond the Switch loss: spec/04-balance.md, B.9 to B.17. */
#include <stdint.h>
#include <stdlib.h>

#include "balance.h"
#include "op.h"

static const char *check_sizes(const op_case *c)
{
    if (op_dim(c, 'T') < 1) return "T must be at least 1: a loss of no tokens is not defined";
    return op_dim(c, 'N') < 1 ? "N must be at least 1: there is no expert" : NULL;
}

static const char *check_k(const op_case *c)
{
    const long N = (long)op_dim(c, 'N'), k = op_int(c, "k");
    const char *wrong = check_sizes(c);
    return wrong ? wrong : k < 1 || k > N ? "k must be at least 1 and at most N" : NULL;
}

/* The K experts of largest score of each token, into index and into the output of that name. */
static smoe_status choose(const op_case *c, size_t K, const double *scores, size_t *index)
{
    const smoe_status status = op_choose(op_dim(c, 'T'), op_dim(c, 'N'), K, scores, index);
    op_write_index(c, "index", op_dim(c, 'T') * K, index);
    return status;
}

/* --- what fillers share: the first input is the scores [T,N] ------------------------------------------------------ */

/* A cotangent of 1, so that the gradient is the loss's own. */
static void plain(op_case *c) { *op_cot(c, "loss") = 1; }

/* At least a quarter apart in each row: no decision is in doubt at any precision. */
static void fill_apart(op_case *c, op_rng *r) { op_fill_apart(r, 0.25, op_dim(c, 'T'), op_dim(c, 'N'), c->in[0].f64); }

static void fill_equal(op_case *c, op_rng *r)
{
    const double level = op_representable(op_normal(r));
    for (size_t k = 0; k < c->in[0].count; k++) c->in[0].f64[k] = level;
    plain(c);
}

/* Token t prefers first(t), first(t)+1, ...: levels 4, 3, 2, 1, then 0, and noise of up to a quarter. */
static void prefer(op_case *c, op_rng *r, size_t (*first)(size_t t, size_t T, size_t N), double noise)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) {
            const size_t rank = (i + N - first(t, T, N) % N) % N;
            const double off = noise * (double)op_below(r, 3);
            c->in[0].f64[t * N + i] = (rank < 4 ? 4 - (double)rank : 0) + off;
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

static void fill_collapse(op_case *c, op_rng *r) { prefer(c, r, always_0, 0.125); }
static void fill_balanced(op_case *c, op_rng *r) { prefer(c, r, in_turn, 0); }
static void fill_opposite(op_case *c, op_rng *r) { prefer(c, r, halves, 0.125); }

/* The last expert is far behind everywhere: no token, and little probability. */
static void fill_idle(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    fill_apart(c, r);
    for (size_t t = 0; t < T; t++) c->in[0].f64[t * N + N - 1] = -6;
    plain(c);
}

/* Three tokens (0, 0), whose tie goes to expert 0, and one that is sure of expert 1: p = (1/2, 1/2) and (0, 1). */
static void fill_seven_eighths(op_case *c, op_rng *r)
{
    (void)r;
    c->in[0].f64[6] = -400;
    c->in[0].f64[7] = 400;
    plain(c);
}

/* All tokens nearly sure of expert 0. */
static void fill_sure(op_case *c, op_rng *r)
{
    (void)r;
    for (size_t t = 0; t < op_dim(c, 'T'); t++) c->in[0].f64[t * op_dim(c, 'N')] = 12;
    plain(c);
}

/* --- balance.importance ------------------------------------------------------------------------------------------- */

static const op_tensor importance_in[] = {
    {"g", "T,N", OP_INPUT, OP_DIFF, "weights of all experts, 0 where a token does not use one"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor importance_out[] = {
    {"loss", "", OP_BOUNDED, OP_DIFF, "squared coefficient of variation of the importance"},
    {"importance", "N", OP_STAGE, 0, "sum of each expert's weights over the tokens"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param importance_param[] = {
    {"variance", OP_CHOICE, "population|unbiased", "the sum of squares is divided by N, or by N - 1"},
    {"epsilon", OP_REAL, "0.0", "added to the squared mean"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *check_variation(const op_case *c)
{
    if (op_real(c, "epsilon") < 0) return "epsilon must not be negative";
    if (op_is(c, "variance", "unbiased") && op_dim(c, 'N') < 2) return "the unbiased variance needs two experts";
    return NULL;
}

static const char *importance_check(const op_case *c)
{
    const char *wrong = check_sizes(c);
    return wrong ? wrong : check_variation(c);
}

static smoe_status variation(const op_case *c, const double *v, double *loss)
{
    const size_t N = op_dim(c, 'N');
    const double epsilon = op_real(c, "epsilon");
    return op_is(c, "variance", "population") ? smoe_cv_squared(N, v, epsilon, loss)
                                              : smoe_cv_squared_unbiased(N, v, epsilon, loss);
}

static smoe_status variation_vjp(const op_case *c, const double *v, double *dv)
{
    const size_t N = op_dim(c, 'N');
    const double epsilon = op_real(c, "epsilon"), dloss = *op_cot(c, "loss");
    return op_is(c, "variance", "population") ? smoe_cv_squared_vjp(N, v, epsilon, dloss, dv)
                                              : smoe_cv_squared_unbiased_vjp(N, v, epsilon, dloss, dv);
}

static smoe_status importance_forward(op_case *c)
{
    smoe_status status = smoe_importance(op_dim(c, 'T'), op_dim(c, 'N'), op_in(c, "g"), op_out(c, "importance"));
    return status == SMOE_OK ? variation(c, op_out(c, "importance"), op_out(c, "loss")) : status;
}

static smoe_status importance_vjp(op_case *c)
{
    double *dv = op_room(op_dim(c, 'N'), sizeof *dv);
    smoe_status status = variation_vjp(c, op_out(c, "importance"), dv);
    if (status == SMOE_OK) status = smoe_importance_vjp(op_dim(c, 'T'), op_dim(c, 'N'), dv, op_grad(c, "g"));
    free(dv);
    return status;
}

/* Weights of two experts a token, (w, 1 - w) with w in eighths, at places first(t) and first(t) + step. */
static void two_weights(op_case *c, op_rng *r, size_t (*first)(size_t t, size_t T, size_t N), size_t step)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    for (size_t t = 0; t < T; t++) {
        const size_t a = first(t, T, N) % N, b = (a + step) % N;
        const double w = 0.125 * (double)(4 + op_below(r, 4));
        op_in(c, "g")[t * N + a] += w;
        op_in(c, "g")[t * N + b] += 1 - w;
    }
}

static void fill_weights(op_case *c, op_rng *r)
{
    const size_t N = op_dim(c, 'N');
    const size_t step = N > 1 ? 1 + (size_t)op_below(r, N - 1) : 0;
    two_weights(c, r, in_turn, step);
}

static void fill_two_experts(op_case *c, op_rng *r)
{
    two_weights(c, r, always_0, 1);
    plain(c);
}

/* One weight of 1/2 an expert and token: every importance is T/2. */
static void fill_even_weights(op_case *c, op_rng *r)
{
    (void)r;
    for (size_t k = 0; k < c->in[0].count; k++) op_in(c, "g")[k] = 0.5;
    plain(c);
}

/* Importances 1, 2, 3, 4 out of four tokens:  m = 5/2, Var = 5/4 (unbiased 5/3), loss 1/5 (4/15). */
static void fill_one_to_four(op_case *c, op_rng *r)
{
    (void)r;
    for (size_t t = 0; t < 4; t++)
        for (size_t i = 0; i < 4; i++) op_in(c, "g")[4 * t + i] = i >= t ? 1 : 0;
    plain(c);
}

/* Everything on expert 0. */
static void fill_one_weight(op_case *c, op_rng *r)
{
    (void)r;
    for (size_t t = 0; t < op_dim(c, 'T'); t++) op_in(c, "g")[t * op_dim(c, 'N')] = 1;
    plain(c);
}

/* One token, one expert with a weight of 2^-14: m^2 = 2^-34 for eight experts, 6e-11. */
static void fill_faint_weight(op_case *c, op_rng *r)
{
    (void)r;
    op_in(c, "g")[0] = 0x1p-14;
    plain(c);
}

static const op_spec importance_cases[] = {
    {"small", "smoke", "T=6,N=4", "", "", "a first look", fill_weights},
    {"two-choices", "core", "T=13,N=5", "", "", "two experts a token", fill_weights},
    {"unbiased", "core", "T=13,N=5", "variance=unbiased", "", "the variance of a sample", fill_weights},
    {"one-to-four", "core", "T=4,N=4", "", "Cv2Variance",
     "importances 1, 2, 3, 4: 1/5, with N - 1 4/15; laekov/fastmoe divides so", fill_one_to_four},
    {"one-to-four-unbiased", "core", "T=4,N=4", "variance=unbiased", "Cv2Variance",
     "the same where N - 1 is meant: 4/15, with N 1/5; laekov/fastmoe", fill_one_to_four},
    {"balanced", "core", "T=8,N=4", "", "exact", "perfect balance: 0, and so is its gradient", fill_even_weights},
    {"epsilon", "core", "T=9,N=6", "epsilon=0.25", "", "something added to the squared mean", fill_weights},
    {"one-expert", "core", "T=5,N=1", "", "", "N = 1: no variance", fill_one_weight},
    {"one-token", "core", "T=1,N=6", "", "ZeroTokenExpert", "four of six experts without a token", fill_weights},
    {"collapse", "adversarial", "T=8,N=8", "", "ZeroTokenExpert",
     "all on one expert: N - 1, the largest value; NVIDIA-NeMo/Automodel#532", fill_one_weight},
    {"faint", "adversarial", "T=1,N=8", "", "CvEpsilon",
     "one weight of 2^-14: 7, with 1e-10 added to the squared mean 2.6; laekov/fastmoe", fill_faint_weight},
    {"one-epsilon", "adversarial", "T=1,N=8", "epsilon=0.25", "CvEpsilon",
     "one weight of 1: an epsilon beside a squared mean of 1/64, 7/17 instead of 7", fill_one_weight},
    {"two-of-eight", "adversarial", "T=9,N=8", "variance=unbiased", "ZeroTokenExpert,Cv2Variance",
     "two experts share all tokens; giangdip2410/CompeteSMoE divides by N - 1", fill_two_experts},
    {"large", "large", "T=64,N=8", "", "", "the size of the layers' large cases", fill_weights},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- balance.load ------------------------------------------------------------------------------------------------- */

static const op_tensor load_in[] = {
    {"clean", "T,N", OP_INPUT, OP_DIFF, "scores without noise"},
    {"noisy", "T,N", OP_INPUT, OP_DIFF, "scores with noise, which the selection is made on"},
    {"std", "T,N", OP_INPUT, OP_DIFF, "standard deviation of the noise, above 0"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor load_out[] = {
    {"loss", "", OP_BOUNDED, OP_DIFF, "squared coefficient of variation of the load"},
    {"load", "N", OP_STAGE, 0, "expected number of tokens if each expert's own noise is drawn again"},
    {"index", "T,K", OP_DECISION, OP_I64 | OP_OPTIONAL, "the K experts of each token, largest noisy score first"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param load_param[] = {
    {"k", OP_INT, "2", "experts a token"},
    {"variance", OP_CHOICE, "population|unbiased", "the sum of squares is divided by N, or by N - 1"},
    {"epsilon", OP_REAL, "0.0", "added to the squared mean"},
    {"detach", OP_CHOICE, "no|yes", "yes: the threshold, a noisy score, is taken for a constant"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *load_check(const op_case *c)
{
    const char *wrong = check_k(c);
    return wrong ? wrong : check_variation(c);
}

static smoe_status load_forward(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K');
    size_t *index = op_room(T * K, sizeof *index), *order = op_room(K + 1, sizeof *order);
    double *value = op_room(K + 1, sizeof *value), *P = op_room(N, sizeof *P), *load = op_out(c, "load");
    smoe_status status = choose(c, K, op_in(c, "noisy"), index);
    if (status == SMOE_OK)
        status = smoe_noisy_load(T, N, K, op_in(c, "clean"), op_in(c, "noisy"), op_in(c, "std"), order, value, P, load);
    if (status == SMOE_OK) status = variation(c, load, op_out(c, "loss"));
    free(index);
    free(order);
    free(value);
    free(P);
    return status;
}

static smoe_status load_vjp(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K');
    size_t *order = op_room(K + 1, sizeof *order);
    double *value = op_room(K + 1, sizeof *value), *dload = op_room(N, sizeof *dload);
    smoe_status status = variation_vjp(c, op_out(c, "load"), dload);
    if (status == SMOE_OK)
        status = (op_is(c, "detach", "no") ? smoe_noisy_load_vjp : smoe_noisy_load_detached_vjp)(
            T, N, K, op_in(c, "clean"), op_in(c, "noisy"), op_in(c, "std"), dload, order, value, op_grad(c, "clean"),
            op_grad(c, "noisy"), op_grad(c, "std"));
    free(order);
    free(value);
    free(dload);
    return status;
}

/* Noisy scores a quarter apart; clean ones up to 3/8 from them; deviations from 1/2 to 2. */
static void fill_noise(op_case *c, op_rng *r)
{
    op_fill_apart(r, 0.25, op_dim(c, 'T'), op_dim(c, 'N'), op_in(c, "noisy"));
    for (size_t a = 0; a < c->in[0].count; a++) {
        const double off = 0.125 * ((double)op_below(r, 7) - 3);
        const double std = 0.5 + 0.125 * (double)op_below(r, 13);
        op_in(c, "clean")[a] = op_in(c, "noisy")[a] + off;
        op_in(c, "std")[a] = std;
    }
}

/* Every expert equally often at each level, all deviations 1: the loads are all alike. */
static void fill_even_noise(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    (void)r;
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) {
            op_in(c, "clean")[t * N + i] = op_in(c, "noisy")[t * N + i] = 0.5 * (double)((i + t) % N);
            op_in(c, "std")[t * N + i] = 1;
        }
    plain(c);
}

/* All scores alike, so that the rule for ties selects; every probability is 1/2. */
static void fill_equal_noise(op_case *c, op_rng *r)
{
    (void)r;
    for (size_t a = 0; a < c->in[0].count; a++) op_in(c, "std")[a] = 0.5;
    plain(c);
}

/* The first K experts lead by four, with little noise. */
static void fill_collapsed_noise(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K');
    fill_noise(c, r);
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < K; i++) {
            op_in(c, "noisy")[t * N + i] += 4;
            op_in(c, "clean")[t * N + i] += 4;
        }
    plain(c);
}

/* Two experts, the first one ahead by two deviations: loads T Phi(2) and T Phi(-2), CV^2 = (2 Phi(2) - 1)^2 = 0.91. */
static void fill_pair(op_case *c, op_rng *r)
{
    (void)r;
    for (size_t a = 0; a < c->in[0].count; a++) {
        op_in(c, "clean")[a] = op_in(c, "noisy")[a] = a % 2 == 0 ? 2 : 0;
        op_in(c, "std")[a] = 1;
    }
    plain(c);
}

/* Clean scores far below the noisy ones, by which the thresholds go: loads of 2e-4 and 3e-7. */
static void fill_faint_noise(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    (void)r;
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) {
            op_in(c, "noisy")[t * N + i] = (double)(N - i);
            op_in(c, "clean")[t * N + i] = (double)N - (i == 0 ? 4.5 : 5);
            op_in(c, "std")[t * N + i] = 1;
        }
    plain(c);
}

static const op_spec load_cases[] = {
    {"small", "smoke", "T=5,N=4", "k=2", "", "a first look", fill_noise},
    {"noise", "core", "T=10,N=6", "k=2", "", "ordinary scores and deviations", fill_noise},
    {"top-1", "core", "T=8,N=5", "k=1", "", "one expert a token", fill_noise},
    {"all-but-one", "core", "T=7,N=4", "k=3", "", "K = N - 1: one expert is left to beat", fill_noise},
    {"all-chosen", "core", "T=5,N=4", "k=4", "", "K = N: every load is T, the loss and all gradients 0", fill_noise},
    {"detached", "core,adversarial", "T=10,N=6", "k=2,detach=yes", "LoadThreshold",
     "no gradient through the threshold, a noisy score", fill_noise},
    {"unbiased", "core", "T=9,N=5", "k=2,variance=unbiased", "Cv2Variance", "divided by N - 1, as laekov/fastmoe does",
     fill_noise},
    {"balanced", "core", "T=8,N=4", "k=2", "", "every expert has the same load: 0", fill_even_noise},
    {"one-token", "core", "T=1,N=5", "k=2", "LoadThreshold", "one token, whose thresholds are two of its scores",
     fill_noise},
    {"pair", "adversarial", "T=8,N=2", "k=1", "Cv2Variance",
     "two experts, where n for n - 1 halves the loss: no precision hides it; laekov/fastmoe", fill_pair},
    {"pair-unbiased", "adversarial", "T=8,N=2", "k=1,variance=unbiased", "Cv2Variance", "the same where n - 1 is meant",
     fill_pair},
    {"equal", "adversarial", "T=6,N=4", "k=2", "ties,TieOrder", "all scores equal: every probability is 1/2",
     fill_equal_noise},
    {"collapse", "adversarial", "T=8,N=8", "k=2", "LoadThreshold,Cv2Variance",
     "two experts far ahead: their own score is not what they have to beat", fill_collapsed_noise},
    {"epsilon", "adversarial", "T=8,N=8", "k=1,epsilon=2.0,variance=unbiased", "Cv2Variance",
     "a squared mean of 1 and 2 added to it", fill_collapsed_noise},
    {"faint", "adversarial", "T=1,N=4", "k=1", "CvEpsilon", "a squared mean of 3e-9, to which 1e-10 is much",
     fill_faint_noise},
    {"large", "large", "T=64,N=8", "k=2", "", "the size of the layers' large cases", fill_noise},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- losses of one choice a token ---------------------------------------------------------------------------------- */

static const op_tensor first_out[] = {
    {"loss", "", OP_BOUNDED, OP_DIFF, "the balancing loss"},
    {"index", "T,1", OP_DECISION, OP_I64 | OP_OPTIONAL, "the expert of largest score of each token"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor logits_in[] = {
    {"r", "T,N", OP_INPUT, OP_DIFF, "router logits"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor scores_in[] = {
    {"s", "T,N", OP_INPUT, OP_DIFF, "scores of all experts"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};

/* --- balance.gshard --- */

static const op_param gshard_param[] = {
    {"form", OP_CHOICE, "paper|scaled", "scaled: times N^2, so that the value at balance is 1"},
    {"count", OP_CHOICE, "before|after", "f of all first choices, or of those that an expert's capacity leaves"},
    {"capacity", OP_INT, "0", "first choices that count for an expert if count=after"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *gshard_check(const op_case *c)
{
    if (op_is(c, "count", "after") && op_int(c, "capacity") < 1) return "count=after needs a capacity of at least 1";
    if (op_is(c, "count", "before") && op_int(c, "capacity") != 0) return "capacity is only for count=after";
    return check_sizes(c);
}

static smoe_status gshard_fraction(const op_case *c, const size_t *first, double *f)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    size_t *count = op_room(N, sizeof *count);
    smoe_status status = smoe_expert_load(T, N, first, count);
    if (status == SMOE_OK && op_is(c, "count", "after")) smoe_load_kept(N, (size_t)op_int(c, "capacity"), count);
    if (status == SMOE_OK) status = smoe_load_fraction(T, N, count, f);
    free(count);
    return status;
}

static smoe_status gshard_forward(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    size_t *first = op_room(T, sizeof *first);
    double *f = op_room(N, sizeof *f), *p = op_room(T * N, sizeof *p), *m = op_room(N, sizeof *m);
    smoe_status status = choose(c, 1, op_in(c, "r"), first);
    if (status == SMOE_OK) status = gshard_fraction(c, first, f);
    if (status == SMOE_OK) status = smoe_mean_softmax(T, N, op_in(c, "r"), p, m);
    if (status == SMOE_OK)
        status = (op_is(c, "form", "paper") ? smoe_gshard_loss : smoe_switch_loss)(N, f, m, op_out(c, "loss"));
    free(first);
    free(f);
    free(p);
    free(m);
    return status;
}

static smoe_status gshard_vjp(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    const double dloss = *op_cot(c, "loss");
    size_t *first = op_read_index(c, "index", T);
    double *f = op_room(N, sizeof *f), *p = op_room(T * N, sizeof *p), *m = op_room(N, sizeof *m),
           *dp = op_room(N, sizeof *dp);
    smoe_status status = gshard_fraction(c, first, f);
    if (status == SMOE_OK) status = smoe_mean_softmax(T, N, op_in(c, "r"), p, m);
    if (status == SMOE_OK)
        status = (op_is(c, "form", "paper") ? smoe_gshard_loss_vjp : smoe_switch_loss_vjp)(N, f, dloss, m);
    if (status == SMOE_OK) status = smoe_mean_softmax_vjp(T, N, p, m, dp, op_grad(c, "r"));
    free(first);
    free(f);
    free(p);
    free(m);
    free(dp);
    return status;
}

static const op_spec gshard_cases[] = {
    {"small", "smoke", "T=6,N=4", "", "", "a first look", fill_apart},
    {"random", "core", "T=16,N=8", "", "", "standard normal logits", NULL},
    {"scaled", "core", "T=12,N=5", "form=scaled", "", "as most code has it: (B.4) with K = 1", fill_apart},
    {"after", "core", "T=12,N=5", "count=after,capacity=2", "LblAfterCapacity", "first choices after a capacity of 2",
     fill_apart},
    {"balanced", "core", "T=8,N=4", "", "GShardScale", "perfect balance: 1/16, scaled it would be 1", fill_balanced},
    {"balanced-scaled", "core", "T=8,N=4", "form=scaled", "GShardScale", "the same scaled: 1", fill_balanced},
    {"seven-eighths", "core", "T=4,N=2", "form=scaled", "ties,exact,SwitchBelowOne", "7/8, below 1",
     fill_seven_eighths},
    {"equal", "core", "T=6,N=4", "", "ties,exact,TieOrder", "all logits equal: all tokens on expert 0, 1/16",
     fill_equal},
    {"idle", "core", "T=10,N=5", "", "ZeroTokenExpert", "an expert without tokens", fill_idle},
    {"one-expert", "core", "T=4,N=1", "", "", "N = 1: everything is 1 and the gradient 0", NULL},
    {"collapse", "adversarial", "T=8,N=4", "", "LblDoubleSoftmax,LblConstant",
     "all tokens on one expert; huggingface/transformers#39055", fill_collapse},
    {"collapse-after", "adversarial", "T=8,N=4", "count=after,capacity=2,form=scaled", "LblAfterCapacity",
     "and a capacity that keeps a quarter of them", fill_collapse},
    {"opposite", "adversarial", "T=8,N=4", "form=scaled", "LblPerSequence", "two halves collapsed on opposite experts",
     fill_opposite},
    {"large", "large", "T=64,N=8", "", "", "the size of the layers' large cases", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- balance.xmoe --- */

static const op_param xmoe_param[] = {
    {"tau0", OP_REAL, "0.3", "temperature of the softmax, above 0"},
    {"count", OP_CHOICE, "fraction|number", "t is the share of the tokens that an expert has, or their number"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *xmoe_check(const op_case *c)
{
    if (!(op_real(c, "tau0") > 0)) return "tau0 must be above 0";
    return check_sizes(c);
}

static smoe_status xmoe_tokens(const op_case *c, const size_t *first, double *t)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    size_t *count = op_room(N, sizeof *count);
    smoe_status status = smoe_expert_load(T, N, first, count);
    if (status == SMOE_OK) status = smoe_load_fraction(T, N, count, t);
    for (size_t i = 0; i < N && status == SMOE_OK && op_is(c, "count", "number"); i++) t[i] = (double)count[i];
    free(count);
    return status;
}

static smoe_status xmoe_forward(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    size_t *first = op_room(T, sizeof *first);
    double *t = op_room(N, sizeof *t), *z = op_room(T * N, sizeof *z), *p = op_room(T * N, sizeof *p),
           *P = op_room(N, sizeof *P);
    smoe_status status = choose(c, 1, op_in(c, "s"), first);
    if (status == SMOE_OK) status = xmoe_tokens(c, first, t);
    if (status == SMOE_OK) status = smoe_temperature(T * N, op_in(c, "s"), op_real(c, "tau0"), z);
    if (status == SMOE_OK) status = smoe_mean_softmax(T, N, z, p, P);
    if (status == SMOE_OK) status = smoe_switch_loss(N, t, P, op_out(c, "loss"));
    free(first);
    free(t);
    free(z);
    free(p);
    free(P);
    return status;
}

static smoe_status xmoe_vjp(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    const double tau0 = op_real(c, "tau0");
    size_t *first = op_read_index(c, "index", T);
    double *t = op_room(N, sizeof *t), *z = op_room(T * N, sizeof *z), *p = op_room(T * N, sizeof *p),
           *P = op_room(N, sizeof *P);
    double *dp = op_room(N, sizeof *dp);
    smoe_status status = xmoe_tokens(c, first, t);
    if (status == SMOE_OK) status = smoe_temperature(T * N, op_in(c, "s"), tau0, z);
    if (status == SMOE_OK) status = smoe_mean_softmax(T, N, z, p, P);
    if (status == SMOE_OK) status = smoe_switch_loss_vjp(N, t, *op_cot(c, "loss"), P);
    if (status == SMOE_OK) status = smoe_mean_softmax_vjp(T, N, p, P, dp, z);
    if (status == SMOE_OK) status = smoe_temperature_vjp(T * N, tau0, z, op_grad(c, "s"));
    free(first);
    free(t);
    free(z);
    free(p);
    free(P);
    free(dp);
    return status;
}

/* Cosines: between -1 and 1, an eighth apart where there is room. */
static void fill_cosines(op_case *c, op_rng *r)
{
    op_fill_apart(r, 0x1p-4, op_dim(c, 'T'), op_dim(c, 'N'), op_in(c, "s"));
}

static const op_spec xmoe_cases[] = {
    {"small", "smoke", "T=6,N=4", "", "", "a first look", fill_cosines},
    {"cosines", "core", "T=12,N=8", "", "", "scores of a cosine router", fill_cosines},
    {"number", "core", "T=9,N=5", "count=number", "XmoeCount", "t is a number of tokens: T times the value",
     fill_cosines},
    {"cold", "core", "T=9,N=5", "tau0=0.07", "XmoeTemperature", "the temperature of the sigmoid gate", fill_cosines},
    {"power-of-two", "core", "T=8,N=4", "tau0=0.25", "", "a division without rounding", fill_cosines},
    {"balanced", "core", "T=8,N=4", "", "", "perfect balance: 1", fill_balanced},
    {"seven-eighths", "core", "T=4,N=2", "tau0=1.0", "ties,exact,SwitchBelowOne", "7/8, below 1", fill_seven_eighths},
    {"equal", "core", "T=6,N=4", "", "ties,TieOrder", "all scores equal: all tokens on expert 0, the loss is 1",
     fill_equal},
    {"idle", "core", "T=10,N=5", "tau0=1.0", "ZeroTokenExpert", "an expert without tokens", fill_idle},
    {"collapse", "adversarial", "T=8,N=4", "tau0=1.0", "LblDoubleSoftmax,LblConstant", "all tokens on one expert",
     fill_collapse},
    {"collapse-cold", "adversarial", "T=8,N=4", "tau0=4.0,count=number", "XmoeTemperature,XmoeCount",
     "the temperature left out shows most where it is far from 1", fill_collapse},
    {"large", "large", "T=64,N=8", "", "", "the size of the layers' large cases", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- balance.stable ----------------------------------------------------------------------------------------------- */

static const op_param stable_param[] = {
    {"alpha", OP_REAL, "1.0", "coefficient; the public code has 0.3"},
    {NULL, OP_INT, NULL, NULL},
};

static smoe_status stable_excess(const op_case *c, const size_t *first, double *e)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    size_t *count = op_room(N, sizeof *count);
    smoe_status status = smoe_expert_load(T, N, first, count);
    if (status == SMOE_OK) status = smoe_excess(T, N, count, e);
    free(count);
    return status;
}

static smoe_status stable_forward(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    const double alpha = op_real(c, "alpha");
    size_t *first = op_room(T, sizeof *first);
    double *e = op_room(N, sizeof *e), *g = op_room(N, sizeof *g);
    smoe_status status = choose(c, 1, op_in(c, "s"), first);
    if (status == SMOE_OK) status = stable_excess(c, first, e);
    if (status == SMOE_OK) status = smoe_stable_loss(T, N, op_in(c, "s"), first, e, alpha, g, op_out(c, "loss"));
    free(first);
    free(e);
    free(g);
    return status;
}

static smoe_status stable_vjp(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    const double alpha = op_real(c, "alpha"), dloss = *op_cot(c, "loss");
    size_t *first = op_read_index(c, "index", T);
    double *e = op_room(N, sizeof *e);
    smoe_status status = stable_excess(c, first, e);
    if (status == SMOE_OK) status = smoe_stable_loss_vjp(T, N, op_in(c, "s"), first, e, alpha, dloss, op_grad(c, "s"));
    free(first);
    free(e);
    return status;
}

/* (0, -1) three times and (-1, 0): c = (3, 1), e = (1/2, -1/2), every gate 1/2: (1/2)(3/2) - (1/2)(1/2) = 1/2. */
static void fill_half(op_case *c, op_rng *r)
{
    (void)r;
    for (size_t t = 0; t < 4; t++) op_in(c, "s")[2 * t + (t < 3 ? 1 : 0)] = -1;
    plain(c);
}

static const op_spec stable_cases[] = {
    {"small", "smoke", "T=6,N=4", "", "", "a first look", fill_apart},
    {"random", "core", "T=16,N=8", "", "", "standard normal scores", NULL},
    {"alpha", "core,adversarial", "T=11,N=5", "alpha=0.3", "", "the coefficient of the public code", fill_apart},
    {"half", "core", "T=4,N=2", "", "exact", "three tokens against one: 1/2", fill_half},
    {"balanced", "core", "T=8,N=4", "", "StableExcess", "perfect balance: 0, and so is its gradient", fill_balanced},
    {"equal", "core", "T=8,N=4", "", "ties,TieOrder", "all scores equal: all tokens on expert 0", fill_equal},
    {"idle", "core", "T=10,N=5", "", "ZeroTokenExpert",
     "an expert without tokens has an excess of -1 and no gate to lower; NVIDIA-NeMo/Automodel#532", fill_idle},
    {"one-expert", "core", "T=4,N=1", "", "", "N = 1: no excess", NULL},
    {"collapse", "adversarial", "T=8,N=4", "", "StableAllGates,StableExcess",
     "all tokens on one expert: only its own gates count", fill_collapse},
    {"opposite", "adversarial", "T=8,N=4", "", "StableAllGates,LblPerSequence",
     "two experts with half of the tokens each", fill_opposite},
    {"large", "large", "T=64,N=8", "", "", "the size of the layers' large cases", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- balance.entropy ---------------------------------------------------------------------------------------------- */

static const op_tensor entropy_out[] = {
    {"loss", "", OP_BOUNDED, OP_DIFF, "sum_i P_i ln P_i, between -ln N and 0; its mean over the sequences"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param entropy_param[] = {
    {"scope", OP_CHOICE, "batch|sequence", "one P of all tokens, or the mean of the sequences' losses"},
    {"sequence", OP_INT, "0", "tokens of a sequence if scope=sequence; divides T"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *entropy_check(const op_case *c)
{
    const long T = (long)op_dim(c, 'T'), S = op_int(c, "sequence");
    const char *wrong = check_sizes(c);
    if (wrong) return wrong;
    if (op_is(c, "scope", "batch")) return S == 0 ? NULL : "sequence is only for scope=sequence";
    if (S < 1) return "scope=sequence needs sequence, the number of tokens of a sequence, at least 1";
    return T % S == 0 ? NULL : "sequence must divide T: the loss is a mean over whole sequences";
}

static smoe_status entropy_forward(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    const size_t S = op_is(c, "scope", "batch") ? T : (size_t)op_int(c, "sequence"), B = T / S;
    double *p = op_room(S * N, sizeof *p), *P = op_room(N, sizeof *P), loss, sum = 0;
    smoe_status status = SMOE_OK;
    for (size_t b = 0; b < B && status == SMOE_OK; b++) {
        status = smoe_mean_softmax(S, N, op_in(c, "r") + b * S * N, p, P);
        if (status == SMOE_OK) status = smoe_negative_entropy(N, P, &loss);
        if (status == SMOE_OK) sum += loss;
    }
    *op_out(c, "loss") = sum / (double)B;
    free(p);
    free(P);
    return status;
}

static smoe_status entropy_vjp(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    const size_t S = op_is(c, "scope", "batch") ? T : (size_t)op_int(c, "sequence"), B = T / S;
    double *p = op_room(S * N, sizeof *p), *P = op_room(N, sizeof *P), *dP = op_room(N, sizeof *dP),
           *dp = op_room(N, sizeof *dp);
    const double dloss = *op_cot(c, "loss") / (double)B;
    smoe_status status = SMOE_OK;
    for (size_t b = 0; b < B && status == SMOE_OK; b++) {
        status = smoe_mean_softmax(S, N, op_in(c, "r") + b * S * N, p, P);
        if (status == SMOE_OK) status = smoe_negative_entropy_vjp(N, P, dloss, dP);
        if (status == SMOE_OK) status = smoe_mean_softmax_vjp(S, N, p, dP, dp, op_grad(c, "r") + b * S * N);
    }
    free(p);
    free(P);
    free(dP);
    free(dp);
    return status;
}

static const op_spec entropy_cases[] = {
    {"small", "smoke", "T=6,N=4", "", "", "a first look", NULL},
    {"random", "core", "T=16,N=8", "", "", "standard normal logits", NULL},
    {"sequences", "core", "T=12,N=5", "scope=sequence,sequence=4", "", "three sequences of four", fill_apart},
    {"balanced", "core", "T=8,N=4", "", "", "perfect balance: -ln 4, the least value", fill_balanced},
    {"equal", "core", "T=6,N=4", "", "", "all logits equal: -ln 4, gradient 0", fill_equal},
    {"sure", "core", "T=8,N=64", "", "EntropyOfProbs",
     "all tokens on one of 64 experts: near 0; of probabilities again it is -4.14, and -4.16 at balance; "
     "Fsoft-AIC/CompeteSMoE",
     fill_sure},
    {"one-expert", "core", "T=4,N=1", "", "", "N = 1: 1 ln 1 = 0, gradient 0", NULL},
    {"one-token", "core", "T=1,N=6", "", "", "the entropy of one distribution", fill_apart},
    {"idle", "core", "T=10,N=5", "", "ZeroTokenExpert", "an expert with hardly any probability", fill_idle},
    {"opposite", "adversarial", "T=8,N=4", "", "LblPerSequence,EntropyOfTokens",
     "two halves on opposite experts are balanced together, and not one by one", fill_opposite},
    {"opposite-sequences", "adversarial", "T=8,N=4", "scope=sequence,sequence=4", "LblCrossLayer,EntropyOfTokens",
     "the same by sequence: pooling cancels the collapses", fill_opposite},
    {"collapse", "adversarial", "T=8,N=4", "", "EntropyOfProbs", "all tokens prefer expert 0; Fsoft-AIC/CompeteSMoE",
     fill_collapse},
    {"large", "large", "T=64,N=8", "", "", "the size of the layers' large cases", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- balance.deepseek --------------------------------------------------------------------------------------------- */

static const op_tensor deepseek_in[] = {
    {"s", "T,N", OP_INPUT, OP_DIFF, "affinities, above 0, such as sigmoid of the router's scores"},
    {"bias", "N", OP_INPUT, 0, "added to s for the selection only (B.16)"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor deepseek_out[] = {
    {"loss", "", OP_BOUNDED, OP_DIFF, "alpha times the mean over the sequences of sum_i f_i P_i"},
    {"index", "T,K", OP_DECISION, OP_I64 | OP_OPTIONAL, "the K experts of each token, largest s + bias first"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param deepseek_param[] = {
    {"k", OP_INT, "2", "experts a token"},
    {"sequence", OP_INT, "0", "tokens of a sequence, divides T; 0: all tokens are one"},
    {"alpha", OP_REAL, "1.0", "coefficient; the paper's is 0.0001"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *deepseek_check(const op_case *c)
{
    const long T = (long)op_dim(c, 'T'), S = op_int(c, "sequence");
    const char *wrong = check_k(c);
    if (wrong) return wrong;
    if (S < 0) return "sequence must not be negative; 0 means that all tokens are one sequence";
    return S == 0 || T % S == 0 ? NULL : "sequence must divide T: the loss is a mean over whole sequences";
}

/* p, P and f of each of B sequences; f [B,N] is the share of the choices, N times it is the paper's. */
static smoe_status deepseek_parts(const op_case *c, size_t B, const size_t *index, double *p, double *P, double *f)
{
    const size_t S = op_dim(c, 'T') / B, N = op_dim(c, 'N'), K = op_dim(c, 'K');
    size_t *count = op_room(N, sizeof *count);
    smoe_status status = SMOE_OK;
    for (size_t t = 0; t < B * S && status == SMOE_OK; t++)
        status = smoe_affinity_share(N, op_in(c, "s") + t * N, p + t * N);
    for (size_t b = 0; b < B && status == SMOE_OK; b++) {
        status = smoe_mean_probability(S, N, p + b * S * N, P + b * N);
        if (status == SMOE_OK) status = smoe_expert_load(S * K, N, index + b * S * K, count);
        if (status == SMOE_OK) status = smoe_load_fraction(S * K, N, count, f + b * N);
    }
    free(count);
    return status;
}

static size_t deepseek_sequences(const op_case *c)
{
    const size_t S = (size_t)op_int(c, "sequence");
    return S == 0 ? 1 : op_dim(c, 'T') / S;
}

static smoe_status deepseek_forward(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K'), B = deepseek_sequences(c);
    size_t *index = op_room(T * K, sizeof *index);
    double *sum = op_room(T * N, sizeof *sum), *p = op_room(T * N, sizeof *p), *P = op_room(B * N, sizeof *P);
    double *f = op_room(B * N, sizeof *f), *loss = op_out(c, "loss");
    for (size_t a = 0; a < T * N; a++) sum[a] = op_in(c, "s")[a] + op_in(c, "bias")[a % N];
    smoe_status status = SMOE_OK;
    if (!smoe_all_finite(T * N, op_in(c, "s")) || !smoe_all_finite(N, op_in(c, "bias"))) status = SMOE_EDOM;
    if (status == SMOE_OK && !smoe_all_finite(T * N, sum)) status = SMOE_EOVRFLW;
    if (status == SMOE_OK) status = choose(c, K, sum, index);
    if (status == SMOE_OK) status = deepseek_parts(c, B, index, p, P, f);
    if (status == SMOE_OK) status = smoe_switch_loss_sequences(B, N, f, P, loss);
    if (status == SMOE_OK) *loss = op_real(c, "alpha") * *loss;
    if (status == SMOE_OK && !smoe_all_finite(1, loss)) status = SMOE_EOVRFLW;
    free(index);
    free(sum);
    free(p);
    free(P);
    free(f);
    return status;
}

static smoe_status deepseek_vjp(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K'), B = deepseek_sequences(c), S = T / B;
    size_t *index = op_read_index(c, "index", T * K);
    double *p = op_room(T * N, sizeof *p), *P = op_room(B * N, sizeof *P), *f = op_room(B * N, sizeof *f);
    double *dp = op_room(N, sizeof *dp), dloss = *op_cot(c, "loss") * op_real(c, "alpha");
    smoe_status status = smoe_all_finite(1, op_cot(c, "loss")) ? SMOE_OK : SMOE_EDOM;
    if (status == SMOE_OK && !smoe_all_finite(1, &dloss)) status = SMOE_EOVRFLW;
    if (status == SMOE_OK) status = deepseek_parts(c, B, index, p, P, f);
    if (status == SMOE_OK) status = smoe_switch_loss_sequences_vjp(B, N, f, dloss, P);
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        for (size_t i = 0; i < N; i++) dp[i] = P[t / S * N + i] / (double)S;
        status = smoe_affinity_share_vjp(N, op_in(c, "s") + t * N, p + t * N, dp, op_grad(c, "s") + t * N);
    }
    free(index);
    free(p);
    free(P);
    free(f);
    free(dp);
    return status;
}

/* Affinities in (0, 1), 1/32 apart in each row, and biases less than that apart: no decision is in doubt. */
static void fill_affinities(op_case *c, op_rng *r)
{
    fill_apart(c, r);
    for (size_t a = 0; a < c->in[0].count; a++) op_in(c, "s")[a] = (op_in(c, "s")[a] + 4) / 8;
    for (size_t i = 0; i < op_dim(c, 'N'); i++) op_in(c, "bias")[i] = 0x1p-8 * (double)i;
}

/* A bias that selects the last expert for every token, whatever its affinity. */
static void fill_bias(op_case *c, op_rng *r)
{
    fill_affinities(c, r);
    op_in(c, "bias")[op_dim(c, 'N') - 1] = 2;
    plain(c);
}

static void affinities_of_levels(op_case *c)
{
    for (size_t a = 0; a < c->in[0].count; a++) op_in(c, "s")[a] = (op_in(c, "s")[a] + 0.5) / 8;
    plain(c);
}

static void fill_collapsed_affinities(op_case *c, op_rng *r)
{
    fill_collapse(c, r);
    affinities_of_levels(c);
}

static void fill_opposite_affinities(op_case *c, op_rng *r)
{
    fill_opposite(c, r);
    affinities_of_levels(c);
}

static void fill_balanced_affinities(op_case *c, op_rng *r)
{
    fill_balanced(c, r);
    affinities_of_levels(c);
}

static void fill_equal_affinities(op_case *c, op_rng *r)
{
    (void)r;
    for (size_t a = 0; a < c->in[0].count; a++) op_in(c, "s")[a] = 0.5;
    plain(c);
}

/* The affinities of a router that wants none of its experts: 2^-24 times 1, 2, ..., N, in another order for each token.
 * These are subnormal in binary16, and exact. */
static void fill_vanishing_affinities(op_case *c, op_rng *r)
{
    const size_t N = op_dim(c, 'N');
    (void)r;
    for (size_t a = 0; a < c->in[0].count; a++) op_in(c, "s")[a] = 0x1p-24 * (double)(1 + (a / N * 3 + a % N) % N);
    *op_cot(c, "loss") = 0x1p-6; /* over a sum of 6e-7 it is finite in binary16 too */
}

static const op_spec deepseek_cases[] = {
    {"small", "smoke", "T=6,N=4", "k=2", "", "a first look", fill_affinities},
    {"affinities", "core", "T=12,N=8", "k=3", "", "ordinary affinities", fill_affinities},
    {"sequences", "core,adversarial", "T=12,N=6", "k=2,sequence=4,alpha=0.5", "", "three sequences of four",
     fill_affinities},
    {"top-1", "core", "T=8,N=5", "k=1", "", "one expert a token", fill_affinities},
    {"bias", "core,adversarial", "T=10,N=5", "k=2", "BiasLeak",
     "the bias selects and nothing else: P is of s; huggingface/transformers#41647", fill_bias},
    {"balanced", "core", "T=8,N=4", "k=2", "LblTopKNorm,LblProbOverTK", "perfect balance: 1", fill_balanced_affinities},
    {"equal", "core", "T=8,N=4", "k=2", "ties,exact,TieOrder", "all affinities equal: 1", fill_equal_affinities},
    {"all-chosen", "core", "T=5,N=4", "k=4", "", "K = N: 1, whatever s", fill_affinities},
    {"collapse", "adversarial", "T=8,N=4", "k=2", "DeepseekSoftmax,LblTopKNorm",
     "all tokens on two experts: softmax of affinities hardly sees it", fill_collapsed_affinities},
    {"vanishing", "adversarial", "T=8,N=4", "k=2", "wide,LblEpsHack",
     "affinities of 1e-7: shares like any others, but for an epsilon of 1e-7; NVIDIA/Megatron-LM#1545",
     fill_vanishing_affinities},
    {"opposite-sequences", "adversarial", "T=8,N=4", "k=2,sequence=4", "LblCrossLayer",
     "two sequences collapsed on opposite experts: pooled they are balanced", fill_opposite_affinities},
    {"opposite", "adversarial", "T=8,N=4", "k=2", "LblPerSequence", "the same as one batch", fill_opposite_affinities},
    {"large", "large", "T=64,N=8", "k=2,sequence=16", "", "the size of the layers' large cases", fill_affinities},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- balance.deepseek.bias ---------------------------------------------------------------------------------------- */

static const op_tensor bias_in[] = {
    {"load", "N", OP_INPUT, 0, "tokens of each expert in this step"},
    {"bias", "N", OP_INPUT, 0, "the biases before it"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor bias_out[] = {
    {"updated", "N", OP_BOUNDED, 0, "bias + gamma sign(mean load - load)"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param bias_param[] = {
    {"gamma", OP_REAL, "0.0009765625", "the size of a step, 2^-10; the paper's is 0.001"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *bias_check(const op_case *c) { return op_dim(c, 'N') < 1 ? "N must be at least 1" : NULL; }

static smoe_status bias_forward(op_case *c)
{
    return smoe_bias_update(op_dim(c, 'N'), op_in(c, "load"), op_in(c, "bias"), op_real(c, "gamma"),
                            op_out(c, "updated"));
}

/* Small whole loads: each is the mean or at least 1/N from it. */
static void fill_loads(op_case *c, op_rng *r)
{
    op_fill_normal(r, 0.25, op_dim(c, 'N'), op_in(c, "bias"));
    for (size_t i = 0; i < op_dim(c, 'N'); i++) op_in(c, "load")[i] = (double)op_below(r, 16);
}

static void fill_same_loads(op_case *c, op_rng *r)
{
    op_fill_normal(r, 0.25, op_dim(c, 'N'), op_in(c, "bias"));
    for (size_t i = 0; i < op_dim(c, 'N'); i++) op_in(c, "load")[i] = 12;
}

/* Loads 8, 4, 0, 4, ... around the mean 4, which every other expert has exactly. */
static void fill_mean_loads(op_case *c, op_rng *r)
{
    static const double load[4] = {8, 4, 0, 4};
    (void)r;
    for (size_t i = 0; i < op_dim(c, 'N'); i++) op_in(c, "load")[i] = load[i % 4];
}

/* One expert has nearly everything: against the mean all others rise; a step in proportion would be another. */
static void fill_one_load(op_case *c, op_rng *r)
{
    (void)r;
    op_in(c, "load")[0] = 120;
    for (size_t i = 1; i < op_dim(c, 'N'); i++) op_in(c, "load")[i] = (double)(i % 2);
}

static const op_spec bias_cases[] = {
    {"small", "smoke", "N=4", "", "", "a first look", fill_loads},
    {"loads", "core", "N=8", "", "", "ordinary loads", fill_loads},
    {"large-step", "core", "N=6", "gamma=0.5", "BiasSign", "a step that no format can miss", fill_loads},
    {"balanced", "core", "N=5", "gamma=0.25", "BiasSignZero", "all loads equal: nothing moves", fill_same_loads},
    {"at-the-mean", "core,adversarial", "N=8", "gamma=0.25", "exact,BiasSign,BiasSignZero",
     "experts at the mean stay, the others move by gamma", fill_mean_loads},
    {"one-expert", "core", "N=1", "", "", "N = 1: always at the mean", fill_loads},
    {"collapse", "adversarial", "N=8", "gamma=0.125", "BiasSign,BiasProportional",
     "one expert has nearly all tokens: it moves by gamma, not by its excess", fill_one_load},
    {"median", "adversarial", "N=5", "gamma=0.5", "BiasMedian", "mean and median differ: 24.4 and 1", fill_one_load},
    {"large", "large", "N=64", "", "", "the experts of a large layer", fill_loads},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- balance.global ----------------------------------------------------------------------------------------------- */

static const op_tensor global_out[] = {
    {"loss", "", OP_BOUNDED, OP_DIFF, "mean over the micro-batches m of N sum_i f_i P_i^m"},
    {"index", "T,K", OP_DECISION, OP_I64 | OP_OPTIONAL, "the K experts of each token, largest logit first"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param global_param[] = {
    {"k", OP_INT, "2", "experts a token"},
    {"micro", OP_INT, "0", "tokens of a micro-batch, divides T; 0: all tokens are one"},
    {"form", OP_CHOICE, "global|micro|accumulated",
     "f of all tokens, of the micro-batch, or of all micro-batches up to and with this one"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *global_check(const op_case *c)
{
    const long T = (long)op_dim(c, 'T'), S = op_int(c, "micro");
    const char *wrong = check_k(c);
    if (wrong) return wrong;
    if (S < 0) return "micro must not be negative; 0 means that all tokens are one micro-batch";
    return S == 0 || T % S == 0 ? NULL : "micro must divide T: the loss is a mean over whole micro-batches";
}

static size_t micro_batches(const op_case *c)
{
    const size_t S = (size_t)op_int(c, "micro");
    return S == 0 ? 1 : op_dim(c, 'T') / S;
}

/* f [M,N] of M micro-batches. */
static smoe_status global_fractions(const op_case *c, size_t M, const size_t *index, double *f)
{
    const size_t S = op_dim(c, 'T') / M, N = op_dim(c, 'N'), K = op_dim(c, 'K');
    const bool micro = op_is(c, "form", "micro");
    size_t *count = op_room(N, sizeof *count), *total = op_room(N, sizeof *total);
    smoe_status status = SMOE_OK;
    for (size_t m = 0; m < M && status == SMOE_OK; m++) {
        status = smoe_expert_load(S * K, N, index + m * S * K, count);
        if (status == SMOE_OK) status = smoe_accumulate_load(N, count, total);
        if (status == SMOE_OK)
            status = smoe_load_fraction(micro ? S * K : (m + 1) * S * K, N, micro ? count : total, f + m * N);
    }
    for (size_t m = 0; m + 1 < M && op_is(c, "form", "global"); m++) /* the last total is the whole batch's */
        for (size_t i = 0; i < N; i++) f[m * N + i] = f[(M - 1) * N + i];
    free(count);
    free(total);
    return status;
}

static smoe_status global_forward(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K'), M = micro_batches(c);
    size_t *index = op_room(T * K, sizeof *index);
    double *f = op_room(M * N, sizeof *f), *p = op_room(T * N, sizeof *p), *P = op_room(M * N, sizeof *P);
    smoe_status status = choose(c, K, op_in(c, "r"), index);
    if (status == SMOE_OK) status = global_fractions(c, M, index, f);
    if (status == SMOE_OK) status = smoe_balance_loss(M, T / M, N, op_in(c, "r"), f, p, P, op_out(c, "loss"));
    free(index);
    free(f);
    free(p);
    free(P);
    return status;
}

static smoe_status global_vjp(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K'), M = micro_batches(c);
    size_t *index = op_read_index(c, "index", T * K);
    double *f = op_room(M * N, sizeof *f), *p = op_room(T * N, sizeof *p), *P = op_room(M * N, sizeof *P);
    double *none = op_room(M * N, sizeof *none), *dp = op_room(N, sizeof *dp), loss;
    smoe_status status = global_fractions(c, M, index, f);
    if (status == SMOE_OK) status = smoe_balance_loss(M, T / M, N, op_in(c, "r"), f, p, P, &loss);
    if (status == SMOE_OK)
        status = smoe_balance_loss_vjp(M, T / M, N, f, p, *op_cot(c, "loss"), none, dp, op_grad(c, "r"));
    free(index);
    free(f);
    free(p);
    free(P);
    free(none);
    free(dp);
    return status;
}

static const op_spec global_cases[] = {
    {"small", "smoke", "T=6,N=4", "k=2,micro=3", "", "a first look", fill_apart},
    {"random", "core", "T=16,N=8", "k=2,micro=4", "", "standard normal logits in four micro-batches", NULL},
    {"micro", "core", "T=12,N=5", "k=2,micro=4,form=micro", "", "each by itself: (B.5)", fill_apart},
    {"accumulated", "core", "T=12,N=5", "k=2,micro=4,form=accumulated", "", "f of what has been seen so far",
     fill_apart},
    {"one", "core", "T=8,N=4", "k=1,micro=0", "", "one micro-batch: (B.4) in every form", fill_apart},
    {"balanced", "core", "T=12,N=4", "k=2,micro=4", "LblTopKNorm,LblProbOverTK", "perfect balance: 1", fill_balanced},
    {"equal", "core", "T=6,N=4", "k=2,micro=3", "ties,exact,TieOrder", "all logits equal: 1", fill_equal},
    {"idle", "core", "T=10,N=5", "k=2,micro=5", "ZeroTokenExpert", "an expert without tokens", fill_idle},
    {"opposite", "core", "T=8,N=4", "k=2,micro=4", "GlobalMicro,GlobalAccumulated",
     "two micro-batches collapsed on opposite experts: 1 for the batch, 1.8 one by one", fill_opposite},
    {"opposite-micro", "adversarial", "T=8,N=4", "k=2,micro=4,form=micro", "GlobalWhole",
     "the same where each by itself is meant", fill_opposite},
    {"opposite-accumulated", "adversarial", "T=8,N=4", "k=2,micro=4,form=accumulated", "GlobalMicro,GlobalWhole",
     "the same where the first micro-batch sees itself and the second one both", fill_opposite},
    {"collapse", "adversarial", "T=8,N=4", "k=2,micro=2",
     "LblDoubleSoftmax,LblConstant,LblTopKNorm,LblProbOverTK,LblFirstChoiceOnly",
     "all tokens on two experts with confidence; huggingface/transformers#28093, #39055, #43775", fill_collapse},
    {"large", "large", "T=64,N=8", "k=2,micro=16", "", "the size of the layers' large cases", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- the records -------------------------------------------------------------------------------------------------- */

const op_record op_balance_aux[] = {
    {"balance.importance", "Importance loss", "B.9", "loss = Var(v) / (mean(v)^2 + epsilon),  v_i = sum_t g_{t,i}",
     "Shazeer et al. 2017 (noisy top-k), eqs. (6), (7): from memory, sure; fastmoe's variance is unbiased (run)",
     "ref/balance.c: smoe_importance, smoe_cv_squared, smoe_cv_squared_unbiased, smoe_cv_squared_vjp, "
     "smoe_cv_squared_unbiased_vjp, smoe_importance_vjp",
     importance_in, importance_out, importance_param, importance_cases, importance_check, importance_forward,
     importance_vjp},
    {"balance.load", "Load loss of noisy top-k", "B.9 B.10",
     "loss = Var(v) / (mean(v)^2 + epsilon),  v_i = sum_t Phi((clean_{t,i} - thr_{t,i}) / std_{t,i}),  thr the K-th "
     "largest of the other experts' noisy scores",
     "Shazeer et al. 2017 (noisy top-k), eqs. (8) to (11): from memory, sure; checked by simulation",
     "ref/balance.c: smoe_load_token, smoe_noisy_load, smoe_load_token_vjp, smoe_noisy_load_vjp, "
     "smoe_noisy_load_detached_vjp",
     load_in, load_out, load_param, load_cases, load_check, load_forward, load_vjp},
    {"balance.gshard", "GShard balancing loss", "B.11",
     "loss = (1/N) sum_i (c_i/T) m_i,  m_i = (1/T) sum_t softmax(r_t)_i",
     "Lepikhin et al. 2021 (GShard), algorithm 1: from memory, sure of the form, not of what c counts",
     "ref/balance.c: smoe_gshard_loss, smoe_gshard_loss_vjp, smoe_mean_softmax, smoe_mean_softmax_vjp, smoe_load_kept",
     logits_in, first_out, gshard_param, gshard_cases, gshard_check, gshard_forward, gshard_vjp},
    {"balance.xmoe", "XMoE balancing loss", "B.12", "loss = (N/T) sum_i t_i sum_t softmax(s_t / tau0)_i",
     "Chi et al. 2022 (XMoE), eq. (10): its text was read; t is called a number and a fraction there",
     "ref/balance.c: smoe_temperature, smoe_temperature_vjp, smoe_mean_softmax, smoe_switch_loss", scores_in, first_out,
     xmoe_param, xmoe_cases, xmoe_check, xmoe_forward, xmoe_vjp},
    {"balance.stable", "StableMoE balancing loss", "B.13",
     "loss = alpha sum_i ((n_i - T/N) / (T/N)) sum_{t in A_i} sigmoid(s_{t,i})",
     "Dai et al. 2022 (StableMoE): its public code was read",
     "ref/balance.c: smoe_excess, smoe_stable_loss, smoe_stable_loss_vjp", scores_in, first_out, stable_param,
     stable_cases, check_sizes, stable_forward, stable_vjp},
    {"balance.entropy", "Entropy balancing loss", "B.14", "loss = sum_i P_i ln P_i,  P_i = (1/T) sum_t softmax(r_t)_i",
     "Csordas et al. (sigma-MoE, MoEUT), read in the public code of CompeteSMoE v2's language models",
     "ref/balance.c: smoe_negative_entropy, smoe_negative_entropy_vjp, smoe_mean_softmax, smoe_mean_softmax_vjp",
     logits_in, entropy_out, entropy_param, entropy_cases, entropy_check, entropy_forward, entropy_vjp},
    {"balance.deepseek", "DeepSeek sequence-wise balancing loss", "B.15",
     "loss = alpha mean over sequences of sum_i f_i P_i,  f_i = (N/(K T)) c_i,  P_i = mean_t s_{t,i} / sum_j s_{t,j}",
     "DeepSeek-AI 2024 (DeepSeek-V3), eqs. (17) to (20): from memory, fairly sure",
     "ref/balance.c: smoe_affinity_share, smoe_affinity_share_vjp, smoe_switch_loss_sequences", deepseek_in,
     deepseek_out, deepseek_param, deepseek_cases, deepseek_check, deepseek_forward, deepseek_vjp},
    {"balance.deepseek.bias", "DeepSeek bias update", "B.16", "updated_i = bias_i + gamma sign(mean(load) - load_i)",
     "Wang et al. 2024 (auxiliary-loss-free balancing), DeepSeek-AI 2024: from memory, sure of the rule",
     "ref/balance.c: smoe_bias_update", bias_in, bias_out, bias_param, bias_cases, bias_check, bias_forward, NULL},
    {"balance.global", "Balancing loss over the global batch", "B.17",
     "loss = mean over micro-batches m of N sum_i f_i P_i^m,  f of the whole batch, a constant",
     "Qiu et al. 2025 (load balancing loss over the global batch): from memory, fairly sure",
     "ref/balance.c: smoe_accumulate_load, smoe_balance_loss, smoe_balance_loss_vjp", logits_in, global_out,
     global_param, global_cases, global_check, global_forward, global_vjp},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
