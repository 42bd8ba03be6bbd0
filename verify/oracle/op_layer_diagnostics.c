/* Operations of chapter L that measure a routing: spec/03-layer.md. */
#include <stdint.h>
#include <stdlib.h>

#include "balance.h"
#include "layer.h"
#include "op.h"

/* n expert numbers; NULL if one is negative. */
static size_t *experts_of(const int64_t *from, size_t n)
{
    size_t *to = op_room(n, sizeof *to);
    for (size_t a = 0; a < n; a++) {
        if (from[a] < 0) {
            free(to);
            return NULL;
        }
        to[a] = (size_t)from[a];
    }
    return to;
}

/* --- layer.load --------------------------------------------------------------------------------------------------- */

static const op_tensor load_in[] = {
    {"r", "T,N", OP_INPUT, 0, "router logits"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor load_out[] = {
    {"load", "N", OP_BOUNDED, 0, "assignments of each expert"},
    {"share", "N", OP_BOUNDED, 0, "load / (T K)"},
    {"max_violation", "", OP_BOUNDED, 0, "(largest load - T K / N) / (T K / N)"},
    {"index", "T,K", OP_DECISION, OP_I64 | OP_OPTIONAL, "the K experts of each token, largest logit first"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param load_param[] = {
    {"k", OP_INT, "2", "experts a token"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *load_check(const op_case *c)
{
    const long k = op_int(c, "k"), N = (long)op_dim(c, 'N');
    if (op_dim(c, 'T') < 1) return "T must be at least 1: a share of no assignments is not defined";
    if (N < 1) return "N must be at least 1: there is no expert";
    return k < 1 || k > N ? "k must be at least 1 and at most N" : NULL;
}

static smoe_status load_forward(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K');
    size_t *index = op_room(T * K, sizeof *index), *count = op_room(N, sizeof *count);
    smoe_status status = op_choose(T, N, K, op_in(c, "r"), index);
    if (status == SMOE_OK) status = smoe_expert_load(T * K, N, index, count);
    if (status == SMOE_OK) status = smoe_load_fraction(T * K, N, count, op_out(c, "share"));
    if (status == SMOE_OK) status = smoe_max_violation(T * K, N, count, op_out(c, "max_violation"));
    if (status == SMOE_OK) op_write_index(c, "index", T * K, index);
    for (size_t i = 0; status == SMOE_OK && i < N; i++) op_out(c, "load")[i] = (double)count[i];
    free(index);
    free(count);
    return status;
}

static void fill_apart(op_case *c, op_rng *r) { op_fill_apart(r, 0.5, op_dim(c, 'T'), op_dim(c, 'N'), op_in(c, "r")); }

/* Logits fall by 1/2 from expert to expert; the favourite moves on by `step` experts from token to token. */
static void staircase(op_case *c, size_t step)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) op_in(c, "r")[t * N + (i + step * t) % N] = 1 - 0.5 * (double)i;
}

static void fill_balanced(op_case *c, op_rng *r)
{
    (void)r;
    staircase(c, (size_t)op_int(c, "k"));
}

static void fill_collapse(op_case *c, op_rng *r)
{
    (void)r;
    staircase(c, 0);
}

static void fill_ties(op_case *c, op_rng *r)
{
    (void)r;
    for (size_t k = 0; k < op_dim(c, 'T') * op_dim(c, 'N'); k++) op_in(c, "r")[k] = 0;
}

static const op_spec load_cases[] = {
    {"small", "smoke", "T=6,N=4", "k=2", "", "a first look", fill_apart},
    {"random", "core", "T=32,N=6", "k=2", "", "normal logits", NULL},
    {"balanced", "core", "T=8,N=4", "k=2", "exact", "every expert has 4 of 16: no violation", fill_balanced},
    {"collapse", "core", "T=8,N=4", "k=1", "exact,ZeroTokenExpert",
     "everybody on expert 0: violation N - 1 = 3; NVIDIA-NeMo/Automodel#532", fill_collapse},
    {"all-chosen", "core", "T=5,N=4", "k=4", "exact", "K = N: always balanced", fill_apart},
    {"one-expert", "core", "T=3,N=1", "k=1", "exact", "N = 1: always balanced", NULL},
    {"one-token", "core", "T=1,N=5", "k=2", "ZeroTokenExpert", "three of five experts idle", fill_apart},
    {"second-choice", "adversarial", "T=8,N=8", "k=4", "exact,LblFirstChoiceOnly,LblTopKNorm,ViolationServed",
     "all choices fall on 0 to 3; first choices alone would say 7 instead of 1; deepspeedai/DeepSpeed#2551",
     fill_collapse},
    {"ties", "adversarial", "T=8,N=4", "k=2", "exact,ties,TieOrder,ViolationRatio",
     "all logits equal: 0 and 1 have everything; vllm-project/vllm#55514", fill_ties},
    {"large", "large", "T=4096,N=64", "k=4", "", "a batch of real size", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- layer.collapse ----------------------------------------------------------------------------------------------- */

static const op_tensor collapse_in[] = {
    {"x", "T,d", OP_INPUT, 0, "hidden states"},
    {"index", "T", OP_INPUT, OP_I64, "the expert of each token, below experts"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor collapse_out[] = {
    {"rc", "", OP_BOUNDED, 0, "Tr(Sw Sb^+)"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param collapse_param[] = {
    {"experts", OP_INT, "2", "N, the number of experts; those without tokens are left out"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *collapse_check(const op_case *c)
{
    if (op_dim(c, 'T') < 2) return "T must be at least 2: two experts have a token each";
    if (op_dim(c, 'd') < 1) return "d must be at least 1: a hidden state has no coordinates";
    if (op_int(c, "experts") > 1024) return "experts must be at most 1024";
    return op_int(c, "experts") < 2 ? "experts must be at least 2: there is nothing between" : NULL;
}

static smoe_status collapse_forward(op_case *c)
{
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd'), N = (size_t)op_int(c, "experts");
    size_t *index = experts_of(op_in_i64(c, "index"), T), *count = op_room(2 * N, sizeof *count);
    double *work = op_room(smoe_collapse_work(d, N), sizeof *work);
    const smoe_status status =
        index ? smoe_collapse(T, d, N, op_in(c, "x"), index, op_out(c, "rc"), work, count) : SMOE_EDOM;
    free(index);
    free(count);
    free(work);
    return status;
}

/* Tokens around the means of their experts: both normal with the scales given; expert t mod n has token t. */
static void clusters(op_case *c, op_rng *r, size_t n, double between, double within, double offset)
{
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd');
    double *const x = op_in(c, "x"), *mean = op_room(n * d, sizeof *mean);
    op_fill_normal(r, between, n * d, mean);
    op_fill_normal(r, within, T * d, x);
    for (size_t t = 0; t < T; t++) {
        op_in_i64(c, "index")[t] = (int64_t)(t % n);
        for (size_t k = 0; k < d; k++) x[t * d + k] = op_representable(offset + mean[t % n * d + k] + x[t * d + k]);
    }
    free(mean);
}

static size_t experts(const op_case *c) { return (size_t)op_int(c, "experts"); }
static void fill_clusters(op_case *c, op_rng *r) { clusters(c, r, experts(c), 2, 1, 0); }
static void fill_tight(op_case *c, op_rng *r) { clusters(c, r, experts(c), 4, 0.125, 0); }
static void fill_loose(op_case *c, op_rng *r) { clusters(c, r, experts(c), 0.25, 2, 0); }
static void fill_offset(op_case *c, op_rng *r) { clusters(c, r, experts(c), 2, 1, 16); }

/* Expert 0 has half of the tokens, expert 1 half of the rest, and so on; the last two experts have none. */
static void fill_uneven(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), n = experts(c) - 2;
    clusters(c, r, n, 2, 1, 0);
    for (size_t t = 0; t < T; t++) {
        size_t i = 0;
        for (size_t left = t; left % 2 && i + 1 < n; left /= 2) i++;
        op_in_i64(c, "index")[t] = (int64_t)i;
        op_in(c, "x")[t * op_dim(c, 'd') + i % op_dim(c, 'd')] += 4;
    }
    for (size_t k = 0; k < T * op_dim(c, 'd'); k++) op_in(c, "x")[k] = op_representable(op_in(c, "x")[k]);
}

/* Four experts at the corners (1,1,1), (1,-1,-1), (-1,1,-1), (-1,-1,1) of a cube, two tokens each at a distance along
 * the first axis: 2 for expert 0, 1 for the others.  Sb = I, Sw = diag(7/4, 0, 0). */
static void fill_simplex(op_case *c, op_rng *r)
{
    static const double corner[4][3] = {{1, 1, 1}, {1, -1, -1}, {-1, 1, -1}, {-1, -1, 1}};
    (void)r;
    for (size_t t = 0; t < op_dim(c, 'T'); t++) {
        const size_t i = t / 2 % 4;
        op_in_i64(c, "index")[t] = (int64_t)i;
        for (size_t k = 0; k < 3; k++) op_in(c, "x")[t * 3 + k] = corner[i][k];
        op_in(c, "x")[t * 3] += (t % 2 ? -1 : 1) * (i == 0 ? 2 : 1);
    }
}

/* Every token is the mean of its expert. */
static void fill_points(op_case *c, op_rng *r)
{
    const size_t d = op_dim(c, 'd'), n = experts(c);
    clusters(c, r, n, 2, 0, 0);
    for (size_t t = n; t < op_dim(c, 'T'); t++)
        for (size_t k = 0; k < d; k++) op_in(c, "x")[t * d + k] = op_in(c, "x")[t % n * d + k];
}

/* 30 tokens of expert 0 at (1,-1) or (-1,1), two of expert 1 at (5,-1) and (3,1): Sw = ((1,-1), (-1,1)),
 * Sb = diag(15/16, 0), RC = 16/15; with equal weights Sb is diag(4, 0) and RC 1/4. */
static void fill_lopsided(op_case *c, op_rng *r)
{
    (void)r;
    size_t seen[2] = {0, 0};
    for (size_t t = 0; t < op_dim(c, 'T'); t++) {
        const size_t i = t % 16 == 5;
        const double side = seen[i]++ % 2 ? -1 : 1;
        op_in_i64(c, "index")[t] = (int64_t)i;
        op_in(c, "x")[2 * t] = 4 * (double)i + side;
        op_in(c, "x")[2 * t + 1] = -side;
    }
}

static const op_spec collapse_cases[] = {
    {"small", "smoke", "T=8,d=3", "experts=2", "", "a first look", fill_clusters},
    {"random", "core", "T=32,d=8", "experts=4", "CollapseProduct", "four clouds", fill_clusters},
    {"simplex", "core", "T=8,d=3", "experts=4", "", "Sb = I: RC = Tr(Sw) = 7/4", fill_simplex},
    {"uneven", "core", "T=32,d=6", "experts=6", "ZeroTokenExpert",
     "two experts without tokens, the others of very different sizes", fill_uneven},
    {"just-enough", "core", "T=24,d=3", "experts=4", "", "d = N - 1: Sb is invertible", fill_clusters},
    {"one-dimension", "core,adversarial", "T=10,d=1", "experts=2", "", "d = 1: a quotient of variances", fill_clusters},
    {"wide", "core", "T=12,d=24", "experts=3", "CollapseInverse",
     "d is larger than T: Sb has rank 2 of 24, and only a pseudo-inverse exists", fill_clusters},
    {"points", "adversarial", "T=9,d=4", "experts=3", "", "no scatter inside the experts: RC is 0, but for rounding",
     fill_points},
    {"tight", "adversarial", "T=24,d=6", "experts=4", "", "experts far apart: RC is small", fill_tight},
    {"loose", "adversarial", "T=24,d=6", "experts=4", "CollapseSwapped", "experts hardly apart: RC is large",
     fill_loose},
    {"lopsided", "adversarial", "T=32,d=2", "experts=2", "CollapseUnweighted,CollapseDivisors,CollapseTraces",
     "15/16 of the tokens on one expert: 16/15, and 1/4 if both experts weigh the same (1/N for n_i/T, see L.9)",
     fill_lopsided},
    {"offset", "adversarial", "T=24,d=6", "experts=4", "CollapseUncentred",
     "all tokens moved by 16: RC does not change, uncentred moments do", fill_offset},
    {"large", "large", "T=512,d=64", "experts=8", "", "a layer's hidden states", fill_clusters},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- layer.fluctuation -------------------------------------------------------------------------------------------- */

static const op_tensor fluctuation_in[] = {
    {"a", "T", OP_INPUT, OP_I64, "the expert of each token at one time"},
    {"b", "T", OP_INPUT, OP_I64, "and at another"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor rate_out[] = {
    {"rate", "", OP_BOUNDED, 0, "how much of the routing has changed, from 0 to 1"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};

static const char *some_token(const op_case *c)
{
    return op_dim(c, 'T') < 1 ? "T must be at least 1: a share of no tokens is not defined" : NULL;
}

static smoe_status fluctuation_forward(op_case *c)
{
    const size_t T = op_dim(c, 'T');
    size_t *a = experts_of(op_in_i64(c, "a"), T), *b = experts_of(op_in_i64(c, "b"), T);
    const smoe_status status = a && b ? smoe_fluctuation(T, a, b, op_out(c, "rate")) : SMOE_EDOM;
    free(a);
    free(b);
    return status;
}

static void draw_experts(op_rng *r, uint64_t below, size_t n, int64_t *to)
{
    for (size_t k = 0; k < n; k++) to[k] = (int64_t)op_below(r, below);
}

static void fill_draws(op_case *c, op_rng *r)
{
    draw_experts(r, 4, op_dim(c, 'T'), op_in_i64(c, "a"));
    draw_experts(r, 4, op_dim(c, 'T'), op_in_i64(c, "b"));
}

/* b is a, but for every eighth token. */
static void fill_settled(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T');
    draw_experts(r, 8, T, op_in_i64(c, "a"));
    for (size_t t = 0; t < T; t++) op_in_i64(c, "b")[t] = op_in_i64(c, "a")[t] + (t % 8 == 3);
}

static void fill_same(op_case *c, op_rng *r)
{
    draw_experts(r, 4, op_dim(c, 'T'), op_in_i64(c, "a"));
    for (size_t t = 0; t < op_dim(c, 'T'); t++) op_in_i64(c, "b")[t] = op_in_i64(c, "a")[t];
}

/* The same experts in equal numbers, but on other tokens: the loads are equal, the routing is not. */
static void fill_turned(op_case *c, op_rng *r)
{
    (void)r;
    for (size_t t = 0; t < op_dim(c, 'T'); t++) {
        op_in_i64(c, "a")[t] = (int64_t)(t % 4);
        op_in_i64(c, "b")[t] = (int64_t)((t + 1) % 4);
    }
}

static const op_spec fluctuation_cases[] = {
    {"small", "smoke", "T=6", "", "", "a first look", fill_draws},
    {"random", "core", "T=40", "", "", "unrelated routings: about three quarters change", fill_draws},
    {"settled", "core", "T=64", "", "exact", "one token in eight moves", fill_settled},
    {"same", "core", "T=10", "", "exact", "nothing changes: 0", fill_same},
    {"one-token", "core", "T=1", "", "exact", "0 or 1", fill_draws},
    {"turned", "adversarial", "T=8", "", "exact,ChangeOfLoads,FluctuationStayed",
     "all move, though every load stays the same", fill_turned},
    {"thirds", "adversarial", "T=3", "", "FluctuationCount", "a share that is no binary fraction", fill_turned},
    {"large", "large", "T=65536", "", "", "a batch of real size", fill_draws},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- layer.change ------------------------------------------------------------------------------------------------- */

static const op_tensor change_in[] = {
    {"a", "T,K", OP_INPUT, OP_I64, "the experts of each token at one time, distinct in each row"},
    {"b", "T,K", OP_INPUT, OP_I64, "and at another"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param change_param[] = {
    {"measure", OP_CHOICE, "set|jaccard", "share of the tokens whose sets differ, or mean of 1 - |A & B| / |A | B|"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *change_check(const op_case *c)
{
    return op_dim(c, 'K') < 1 ? "K must be at least 1: a token has at least one expert" : some_token(c);
}

static smoe_status change_forward(op_case *c)
{
    const size_t T = op_dim(c, 'T'), K = op_dim(c, 'K');
    size_t *a = experts_of(op_in_i64(c, "a"), T * K), *b = experts_of(op_in_i64(c, "b"), T * K);
    smoe_status status = SMOE_EDOM;
    if (a && b)
        status = op_is(c, "measure", "set") ? smoe_change_sets(T, K, a, b, op_out(c, "rate"))
                                            : smoe_change_jaccard(T, K, a, b, op_out(c, "rate"));
    free(a);
    free(b);
    return status;
}

/* K distinct experts of 2K for each of T tokens. */
static void draw_rows(op_rng *r, size_t T, size_t K, int64_t *to)
{
    int64_t *deck = op_room(2 * K, sizeof *deck);
    for (size_t i = 0; i < 2 * K; i++) deck[i] = (int64_t)i;
    for (size_t t = 0; t < T; t++)
        for (size_t j = 0; j < K; j++) {
            const size_t other = j + (size_t)op_below(r, 2 * K - j);
            const int64_t taken = deck[other];
            deck[other] = deck[j];
            deck[j] = to[t * K + j] = taken;
        }
    free(deck);
}

static void fill_rows(op_case *c, op_rng *r)
{
    draw_rows(r, op_dim(c, 'T'), op_dim(c, 'K'), op_in_i64(c, "a"));
    draw_rows(r, op_dim(c, 'T'), op_dim(c, 'K'), op_in_i64(c, "b"));
}

/* The same sets, each row backwards: nothing has changed but the order. */
static void fill_reordered(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), K = op_dim(c, 'K');
    draw_rows(r, T, K, op_in_i64(c, "a"));
    for (size_t t = 0; t < T; t++)
        for (size_t j = 0; j < K; j++) op_in_i64(c, "b")[t * K + j] = op_in_i64(c, "a")[t * K + K - 1 - j];
}

/* Of 4 experts, t mod 5 are others: Jaccard distances 0, 2/5, 2/3, 6/7, 1. */
static void fill_graded(op_case *c, op_rng *r)
{
    (void)r;
    const size_t T = op_dim(c, 'T'), K = op_dim(c, 'K');
    for (size_t t = 0; t < T; t++)
        for (size_t j = 0; j < K; j++) {
            op_in_i64(c, "a")[t * K + j] = (int64_t)j;
            op_in_i64(c, "b")[t * K + j] = (int64_t)(j < t % 5 ? K + j : j);
        }
}

/* Rows without a common expert. */
static void fill_disjoint(op_case *c, op_rng *r)
{
    const size_t n = op_dim(c, 'T') * op_dim(c, 'K');
    draw_rows(r, op_dim(c, 'T'), op_dim(c, 'K'), op_in_i64(c, "a"));
    for (size_t k = 0; k < n; k++) op_in_i64(c, "b")[k] = op_in_i64(c, "a")[k] + 1000;
}

static const op_spec change_cases[] = {
    {"small", "smoke", "T=5,K=2", "", "", "a first look", fill_rows},
    {"small-jaccard", "smoke", "T=5,K=2", "measure=jaccard", "", "a first look", fill_rows},
    {"random", "core", "T=24,K=3", "", "ChangeJaccard", "unrelated sets of 3 out of 6", fill_rows},
    {"random-jaccard", "core,adversarial", "T=24,K=3", "measure=jaccard", "ChangeSet",
     "the same, by the Jaccard distance", fill_rows},
    {"graded", "core,adversarial", "T=10,K=4", "", "ChangePerExpert",
     "0 to 4 experts of 4 exchanged: 8 of 10 tokens differ", fill_graded},
    {"graded-jaccard", "core", "T=10,K=4", "measure=jaccard", "ChangePerExpert",
     "distances 0, 2/5, 2/3, 6/7, 1, which shares of exchanged experts are not", fill_graded},
    {"top-1", "core", "T=16,K=1", "measure=jaccard", "", "K = 1: both measures are the routing fluctuation", fill_rows},
    {"disjoint", "core", "T=4,K=3", "measure=jaccard", "exact", "no expert in common: 1", fill_disjoint},
    {"reordered", "adversarial", "T=8,K=3", "", "exact,ChangeOfOrder,ChangeFirst", "the same sets in another order: 0",
     fill_reordered},
    {"reordered-jaccard", "adversarial", "T=8,K=3", "measure=jaccard", "exact,ChangeOfOrder", "the same",
     fill_reordered},
    {"large", "large", "T=8192,K=8", "measure=jaccard", "", "a batch of real size", fill_rows},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

const op_record op_layer_diagnostics[] = {
    {"layer.load", "Load of the experts", "L.8",
     "load_i = assignments of expert i; share = load / (T K); max_violation = (max load - T K / N) / (T K / N)",
     "Wang et al. 2024, auxiliary-loss-free load balancing, MaxVio (from memory, high confidence)",
     "ref/layer.c: smoe_max_violation; ref/balance.c: smoe_expert_load, smoe_load_fraction", load_in, load_out,
     load_param, load_cases, load_check, load_forward, NULL},
    {"layer.collapse", "Representation collapse", "L.9",
     "RC = Tr(Sw Sb^+), Sw and Sb the covariances of the hidden states within and between the experts",
     "Chi et al. 2022, XMoE (text of the formula seen; the weights of the covariances are not in it)",
     "ref/layer.c: smoe_collapse", collapse_in, collapse_out, collapse_param, collapse_cases, collapse_check,
     collapse_forward, NULL},
    {"layer.fluctuation", "Routing fluctuation", "L.10", "rate = (1/T) #{ t : a_t != b_t }",
     "Dai et al. 2022, StableMoE (the quantity and its published values seen, the formula in words)",
     "ref/layer.c: smoe_fluctuation", fluctuation_in, rate_out, NULL, fluctuation_cases, some_token,
     fluctuation_forward, NULL},
    {"layer.change", "Expert change rate", "L.11",
     "rate = (1/T) #{ t : A_t != B_t }, or (1/T) sum_t (1 - |A_t & B_t| / |A_t | B_t|)",
     "ours: routing fluctuation for K experts a token", "ref/layer.c: smoe_change_sets, smoe_change_jaccard", change_in,
     rate_out, change_param, change_cases, change_check, change_forward, NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
