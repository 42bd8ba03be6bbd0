/* Operations of chapter S: spec/07-simsmoe.md. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "op.h"
#include "simsmoe.h"

/* --- what they share ---------------------------------------------------------------------------------------------- */

#define END                                                                                                            \
    {                                                                                                                  \
        NULL, OP_INT, NULL, NULL                                                                                       \
    }
#define END_TENSORS                                                                                                    \
    {                                                                                                                  \
        NULL, NULL, OP_INPUT, 0, NULL                                                                                  \
    }
#define HEAD_PARAMETER                                                                                                 \
    {                                                                                                                  \
        "kind", OP_CHOICE, "mlp|linear", "the head: Wp ReLU(Wh o + bh) + bp, or Wp o + bp"                             \
    }
#define SIMILARITY_PARAMETERS                                                                                          \
    {"kernel", OP_CHOICE, "linear|rbf", "of the representations z"},                                                   \
        {"sigma", OP_REAL, "0.8", "rbf: the square root of the bandwidth, or the factor before the median distance"},  \
        {"bandwidth", OP_CHOICE, "absolute|median", "sigma as it is, or as a fraction of the median distance"},        \
        {"diagonal", OP_CHOICE, "with|without", "the median of all n x n distances, or of those off the diagonal"},    \
        {"middle", OP_CHOICE, "mean|lower", "of an even number: the mean of the middle two, or the lower one"},        \
        {"median", OP_CHOICE, "distance|square",                                                                       \
         "bandwidth = (sigma median distance)^2, or sigma^2 times the median squared distance"},                       \
        {"detach", OP_CHOICE, "yes|no", "a bandwidth from the median is a constant of the gradient, or trained"},      \
        {"estimator", OP_CHOICE, "biased|unbiased|debiased", "HSIC_0; HSIC_1 by Song's sums; HSIC_1 by U-centring"},   \
        {"threshold", OP_REAL, "0.5", "T*: pairs with less similarity are left alone"},                                \
        {"compare", OP_CHOICE, "above|atleast", "CKA > T*, or CKA >= T*"},                                             \
        {"reduce", OP_CHOICE, "sum|mean", "over the selected pairs"},                                                  \
    {                                                                                                                  \
        "detach_x", OP_CHOICE, "yes|no", "the tokens of a pair are constants of the loss, or get a gradient"           \
    }
#define COUNTER_PARAMETERS(compare)                                                                                    \
    {"unit", OP_CHOICE, "tokens|fraction", "a shared token adds 1, or 1/T"},                                           \
        {"frequency", OP_REAL, "16", "f: what a counter has to exceed before the pair is compared"},                   \
        {compare, OP_CHOICE, "above|atleast", "counter > f, or counter >= f"},                                         \
    {                                                                                                                  \
        "absent", OP_CHOICE, "keep|reset", "a pair that is due without a token in this batch waits, or is reset"       \
    }

static const char *head_widths(const op_case *c, char hidden)
{
    if (op_dim(c, 'd') < 1 || op_dim(c, hidden) < 1 || op_dim(c, 'p') < 1) return "widths must be at least 1";
    if (op_is(c, "kind", "linear") && op_dim(c, hidden) != op_dim(c, 'd'))
        return "a linear head has no hidden layer: its weights wp have d columns";
    return NULL;
}

static const char *similarity_numbers(const op_case *c)
{
    if (!(op_real(c, "sigma") > 0) || !isfinite(op_real(c, "sigma"))) return "sigma must be a finite number above 0";
    return isfinite(op_real(c, "threshold")) ? NULL : "threshold must be a finite number";
}

static const char *choices(const op_case *c)
{
    if (op_dim(c, 'K') < 1) return "a token has at least one expert";
    return op_dim(c, 'K') > op_dim(c, 'N') ? "a token cannot have more experts than there are" : NULL;
}

static const char *counter_numbers(const op_case *c)
{
    if (op_dim(c, 'T') < 1) return "T must be at least 1: a batch without tokens counts nothing";
    const double f = op_real(c, "frequency");
    return f >= 0 && isfinite(f) ? NULL : "frequency must be a finite number, at least 0";
}

static bool linear_head(const op_case *c) { return op_is(c, "kind", "linear"); }

/* Indices out of an int64 input; what is negative is out of range as it is. */
static size_t *given_indices(const op_case *c, const char *name, size_t n)
{
    size_t *index = op_room(n, sizeof *index);
    for (size_t i = 0; i < n; i++) {
        const int64_t v = op_in_i64(c, name)[i];
        index[i] = v < 0 ? SIZE_MAX : (size_t)v;
    }
    return index;
}

static void zeros(size_t n, double *x)
{
    for (size_t i = 0; i < n; i++) x[i] = 0;
}

/* --- the projection head (S.1) ------------------------------------------------------------------------------------ */

static const op_tensor head_in[] = {
    {"o", "n,d", OP_INPUT, OP_DIFF, "outputs of an expert"},
    {"wh", "h,d", OP_INPUT, OP_DIFF, "the hidden layer; a linear head does not read it"},
    {"bh", "h", OP_INPUT, OP_DIFF, "its bias; a linear head does not read it"},
    {"wp", "p,h", OP_INPUT, OP_DIFF, "the projection"},
    {"bp", "p", OP_INPUT, OP_DIFF, "its bias"},
    END_TENSORS,
};
static const op_tensor head_out[] = {
    {"z", "n,p", OP_BOUNDED, OP_DIFF, "the representation"},
    END_TENSORS,
};
static const op_param head_param[] = {HEAD_PARAMETER, END};

static const char *head_check(const op_case *c) { return head_widths(c, 'h'); }

/* a and u of one head. */
typedef struct {
    double *a, *u, *da;
} hidden;

static hidden hidden_new(const op_case *c)
{
    const size_t n = op_dim(c, 'n') * op_dim(c, 'h');
    return (hidden){op_room(n, sizeof(double)), op_room(n, sizeof(double)), op_room(n, sizeof(double))};
}

static void hidden_free(hidden *m)
{
    free(m->a);
    free(m->u);
    free(m->da);
}

static smoe_status head_run(op_case *c, hidden *m)
{
    const size_t n = op_dim(c, 'n'), d = op_dim(c, 'd'), h = op_dim(c, 'h'), p = op_dim(c, 'p');
    if (linear_head(c))
        return smoe_head_linear(n, d, p, op_in(c, "o"), op_in(c, "wp"), op_in(c, "bp"), op_out(c, "z"));
    return smoe_head_mlp(n, d, h, p, op_in(c, "o"), op_in(c, "wh"), op_in(c, "bh"), op_in(c, "wp"), op_in(c, "bp"),
                         m->a, m->u, op_out(c, "z"));
}

static smoe_status head_forward(op_case *c)
{
    hidden m = hidden_new(c);
    const smoe_status status = head_run(c, &m);
    hidden_free(&m);
    return status;
}

static smoe_status head_vjp(op_case *c)
{
    const size_t n = op_dim(c, 'n'), d = op_dim(c, 'd'), h = op_dim(c, 'h'), p = op_dim(c, 'p');
    hidden m = hidden_new(c);
    smoe_status status = head_run(c, &m);
    if (status == SMOE_OK && linear_head(c)) {
        zeros(h * d, op_grad(c, "wh"));
        zeros(h, op_grad(c, "bh"));
        status = smoe_head_linear_vjp(n, d, p, op_in(c, "o"), op_in(c, "wp"), op_cot(c, "z"), op_grad(c, "o"),
                                      op_grad(c, "wp"), op_grad(c, "bp"));
    } else if (status == SMOE_OK) {
        status = smoe_head_mlp_vjp(n, d, h, p, op_in(c, "o"), op_in(c, "wh"), op_in(c, "wp"), m.a, m.u, op_cot(c, "z"),
                                   op_grad(c, "o"), op_grad(c, "wh"), op_grad(c, "bh"), op_grad(c, "wp"),
                                   op_grad(c, "bp"), m.da);
    }
    hidden_free(&m);
    return status;
}

static void integers(op_rng *r, size_t n, double *x)
{
    for (size_t k = 0; k < n; k++) x[k] = (double)op_below(r, 5) - 2;
}

static void integer_inputs(op_case *c, op_rng *r)
{
    for (size_t i = 0; c->op->in[i].name; i++)
        if (c->in[i].f64) integers(r, c->in[i].count, c->in[i].f64);
}

static void fill_head_integers(op_case *c, op_rng *r)
{
    integer_inputs(c, r);
    integers(r, op_dim(c, 'n') * op_dim(c, 'p'), op_cot(c, "z"));
}

/* The first half of the hidden units sees exactly 0 before its ReLU, the rest is dead. */
static void fill_head_kink(op_case *c, op_rng *r)
{
    const size_t h = op_dim(c, 'h'), d = op_dim(c, 'd');
    fill_head_integers(c, r);
    for (size_t k = 0; k < h; k++) {
        zeros(d, op_in(c, "wh") + k * d);
        op_in(c, "bh")[k] = k < h / 2 ? 0 : -1;
    }
}

/* Biases as large as what they are added to. */
static void fill_head_biased(op_case *c, op_rng *r)
{
    op_fill_default(c, r);
    for (size_t k = 0; k < op_dim(c, 'h'); k++) op_in(c, "bh")[k] = op_representable(2 + op_uniform(r));
    for (size_t k = 0; k < op_dim(c, 'p'); k++) op_in(c, "bp")[k] = op_representable(4 + op_uniform(r));
}

/* Hidden units of either sign near 0, where GELU is not ReLU. */
static void fill_head_near(op_case *c, op_rng *r)
{
    op_fill_default(c, r);
    for (size_t k = 0; k < op_dim(c, 'h'); k++) op_in(c, "bh")[k] = k % 2 ? -0.75 : 0.75;
    for (size_t k = 0; k < op_dim(c, 'h') * op_dim(c, 'd'); k++)
        op_in(c, "wh")[k] = op_representable(op_in(c, "wh")[k] / 8);
}

static const op_spec head_cases[] = {
    {"small", "smoke", "n=3,d=4,h=5,p=2", "", "", "a first look", NULL},
    {"small-linear", "smoke", "n=3,d=4,h=4,p=2", "kind=linear", "", "a first look at the linear head", NULL},
    {"random", "core", "n=8,d=8,h=12,p=4", "", "", "normal outputs, weights of variance 1/fan-in", NULL},
    {"random-linear", "core", "n=8,d=8,h=8,p=4", "kind=linear", "", "the head of SimSMoE's code", NULL},
    {"one-row", "core", "n=1,d=6,h=8,p=4", "", "", "one row", NULL},
    {"no-rows", "core", "n=0,d=6,h=8,p=4", "", "", "no rows: all gradients are exactly 0", NULL},
    {"no-rows-linear", "core", "n=0,d=6,h=6,p=4", "kind=linear", "", "the same for the linear head", NULL},
    {"square", "core", "n=8,d=6,h=6,p=6", "", "HeadKind,HeadNoActivation", "widths that fit either head", NULL},
    {"square-linear", "core", "n=8,d=6,h=6,p=6", "kind=linear", "HeadKind", "the same, linear", NULL},
    {"biased", "adversarial", "n=8,d=6,h=6,p=4", "", "HeadBias", "biases as large as what they are added to",
     fill_head_biased},
    {"near", "adversarial", "n=8,d=6,h=8,p=4", "", "HeadGelu,HeadNoActivation",
     "hidden units near 0, where another activation shows", fill_head_near},
    {"integers", "adversarial", "n=6,d=4,h=6,p=3", "", "exact", "small integers: all exact", fill_head_integers},
    {"integers-linear", "adversarial", "n=6,d=4,h=4,p=3", "kind=linear", "exact", "the same, linear",
     fill_head_integers},
    {"kink", "adversarial", "n=6,d=4,h=6,p=3", "", "exact,ReluKink",
     "hidden units at exactly 0, where the derivative is 0, and dead ones: z = bp", fill_head_kink},
    {"large", "large", "n=64,d=128,h=256,p=16", "", "", "the size of SimSMoE's experiments", NULL},
    {"large-linear", "large", "n=64,d=256,h=256,p=16", "kind=linear", "", "256 to 16 as in its code", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- pairs and counters (S.2, S.3) -------------------------------------------------------------------------------- */

static const op_tensor pairs_in[] = {
    {"index", "T,K", OP_INPUT, OP_I64, "the experts of each token, distinct"},
    {"counter", "N,N", OP_INPUT, 0, "the counters before this batch, not negative; read above the diagonal"},
    END_TENSORS,
};
static const op_tensor pairs_out[] = {
    {"shared", "N,N", OP_EXACT, OP_I64, "tokens that have both experts i < j; 0 elsewhere"},
    {"next", "N,N", OP_BOUNDED, 0, "the counters after this batch; 0 for a selected pair and below the diagonal"},
    {"selected", "N,N", OP_BOUNDED, 0, "1 for the pairs i < j to compare in this batch, else 0"},
    END_TENSORS,
};
static const op_param pairs_param[] = {COUNTER_PARAMETERS("compare"), END};

static const char *pairs_check(const op_case *c)
{
    const char *wrong = choices(c);
    return wrong ? wrong : counter_numbers(c);
}

static smoe_compare comparison(const op_case *c, const char *param)
{
    return op_is(c, param, "above") ? SMOE_ABOVE : SMOE_AT_LEAST;
}

static smoe_pair_unit unit_of(const op_case *c)
{
    return op_is(c, "unit", "tokens") ? SMOE_UNIT_TOKENS : SMOE_UNIT_FRACTION;
}

static smoe_absent absent_of(const op_case *c)
{
    return op_is(c, "absent", "keep") ? SMOE_ABSENT_KEEP : SMOE_ABSENT_RESET;
}

/* Flags as numbers. */
static void write_flags(const op_case *c, const char *output, size_t n, const size_t *flag)
{
    for (size_t e = 0; e < n; e++) op_out(c, output)[e] = (double)flag[e];
}

static smoe_status pairs_forward(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K');
    size_t *index = given_indices(c, "index", T * K), *shared = op_room(N * N, sizeof *shared);
    size_t *selected = op_room(N * N, sizeof *selected);
    smoe_status status = smoe_shared_tokens(T, N, K, index, shared);
    if (status == SMOE_OK)
        status = smoe_pair_counters(unit_of(c), comparison(c, "compare"), absent_of(c), op_real(c, "frequency"), T, N,
                                    shared, op_in(c, "counter"), op_out(c, "next"), selected);
    op_write_index(c, "shared", N * N, shared);
    write_flags(c, "selected", N * N, selected);
    free(index);
    free(shared);
    free(selected);
    return status;
}

/* The first n of the numbers below N in a random order. */
static void draw_row(op_rng *r, size_t N, size_t n, int64_t *row)
{
    size_t *all = op_room(N, sizeof *all);
    for (size_t i = 0; i < N; i++) all[i] = i;
    for (size_t j = 0; j < n; j++) {
        const size_t k = j + (size_t)op_below(r, N - j), v = all[k];
        all[k] = all[j];
        all[j] = v;
        row[j] = (int64_t)v;
    }
    free(all);
}

static void draw_index(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K');
    for (size_t t = 0; t < T; t++) draw_row(r, N, K, op_in_i64(c, "index") + t * K);
}

/* Quarters from 0 to `most`, above the diagonal. */
static void draw_counters(op_case *c, op_rng *r, size_t most)
{
    const size_t N = op_dim(c, 'N');
    for (size_t e = 0; e < N * N; e++)
        op_in(c, "counter")[e] = e / N < e % N ? 0.25 * (double)op_below(r, 4 * most + 1) : 0;
}

static void fill_pairs(op_case *c, op_rng *r)
{
    draw_index(c, r);
    draw_counters(c, r, 20);
}

/* Pair number e of N experts, in the order (0,1), (0,2), ..., (1,2), ... */
static void pair_number(size_t N, size_t e, size_t *i, size_t *j)
{
    for (*i = 0; e >= N - 1 - *i; ++*i) e -= N - 1 - *i;
    *j = *i + 1 + e;
}

/* Token t has the pair t mod `pairs`, turned round every other time; K = 2. */
static void in_turn(op_case *c, size_t pairs)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    for (size_t t = 0; t < T; t++) {
        size_t i, j;
        pair_number(N, t % pairs, &i, &j);
        const bool turned = t / pairs % 2;
        op_in_i64(c, "index")[2 * t] = (int64_t)(turned ? j : i);
        op_in_i64(c, "index")[2 * t + 1] = (int64_t)(turned ? i : j);
    }
}

static double *counter_of(const op_case *c, size_t e)
{
    size_t i, j;
    pair_number(op_dim(c, 'N'), e, &i, &j);
    return &op_in(c, "counter")[i * op_dim(c, 'N') + j];
}

/* The first three of six pairs get tokens.  Counters: far below, a little below, just at the frequency with this batch's
 * tokens (T/3 each); and without tokens far below, at, and above it. */
static void edge(op_case *c, double each)
{
    const double f = op_real(c, "frequency"), start[] = {0, f - each / 2, f - each, f / 2, f, f + 1};
    in_turn(c, 3);
    for (size_t e = 0; e < 6; e++) *counter_of(c, e) = start[e];
}

static void fill_edge(op_case *c, op_rng *r)
{
    (void)r;
    edge(c, (double)(op_dim(c, 'T') / 3));
}

/* T = 12: a third is not a binary number, so no counter stands at the frequency; T = 24 tokens of three pairs. */
static void fill_edge_fraction(op_case *c, op_rng *r)
{
    (void)r;
    const size_t T = op_dim(c, 'T');
    edge(c, 0.25);
    for (size_t t = 0; t < T; t++) { /* a quarter of the tokens for each of the three, the rest for a fourth */
        size_t i, j;
        pair_number(op_dim(c, 'N'), t % 4, &i, &j);
        op_in_i64(c, "index")[2 * t] = (int64_t)i;
        op_in_i64(c, "index")[2 * t + 1] = (int64_t)j;
    }
}

static void fill_zero_counters(op_case *c, op_rng *r)
{
    draw_index(c, r);
    draw_counters(c, r, 0);
}

/* What lies on and below the diagonal is not read. */
static void fill_below_diagonal(op_case *c, op_rng *r)
{
    const size_t N = op_dim(c, 'N');
    fill_pairs(c, r);
    for (size_t e = 0; e < N * N; e++)
        if (e / N >= e % N) op_in(c, "counter")[e] = 64;
}

static const op_spec pairs_cases[] = {
    {"small", "smoke", "T=6,N=3,K=2", "frequency=4", "", "a first look", fill_pairs},
    {"small-fraction", "smoke", "T=6,N=3,K=2", "frequency=4,unit=fraction,absent=reset", "",
     "a first look at the code's counters", fill_pairs},
    {"random", "core", "T=32,N=4,K=2", "", "", "tokens, the paper's notes", fill_pairs},
    {"random-atleast", "core", "T=32,N=5,K=2", "compare=atleast", "", "tokens, at least", fill_pairs},
    {"code", "core", "T=32,N=4,K=2", "unit=fraction,absent=reset", "", "SimSMoE's code: fractions, above, reset",
     fill_pairs},
    {"thirds", "core", "T=24,N=4,K=2", "unit=fraction,frequency=10.3", "", "fractions that are not binary",
     fill_pairs},
    {"top-1", "core", "T=12,N=4,K=1", "", "", "one expert a token: no pair shares any", fill_pairs},
    {"top-3", "core", "T=24,N=5,K=3", "", "PairsOnlyK2,PairsExactSet,PairsOfFirst,PairsNeighbours",
     "three experts a token are three pairs; SimSMoE's code stops at K = 3", fill_pairs},
    {"top-3-fraction", "core", "T=32,N=5,K=3", "unit=fraction,frequency=8,compare=atleast", "PairsOnlyK2,PairsOverTK",
     "the same in fractions", fill_pairs},
    {"all-chosen", "core", "T=8,N=4,K=4", "frequency=12", "PairsOnlyK2", "K = N: every pair shares every token",
     fill_pairs},
    {"one-expert", "core", "T=5,N=1,K=1", "", "", "no pair at all", fill_pairs},
    {"one-token", "core", "T=1,N=4,K=2", "frequency=1", "", "one token", fill_pairs},
    {"start", "core", "T=16,N=4,K=2", "", "", "the first batch: counters from 0", fill_zero_counters},
    {"every-batch", "core", "T=16,N=4,K=2", "frequency=0", "", "f = 0: every pair with tokens, at each step",
     fill_zero_counters},
    {"every-batch-atleast", "core", "T=16,N=6,K=2", "frequency=0,compare=atleast,absent=reset", "",
     "f = 0 and at least: every pair, with tokens or without", fill_zero_counters},
    {"edge", "adversarial", "T=24,N=4,K=2", "", "PairsOnlyK2,PairsEdge,PairsAbsent,PairsBeforeBatch,CounterNotReset",
     "counters at the frequency, a little below it, and above it without a token", fill_edge},
    {"edge-atleast", "adversarial", "T=24,N=4,K=2", "compare=atleast", "PairsEdge,PairsAbsent,CounterCarried",
     "the same, at least", fill_edge},
    {"edge-reset", "adversarial", "T=24,N=4,K=2", "absent=reset", "PairsEdge,PairsAbsent,CounterResetAll",
     "... and the code's way with pairs that have no token", fill_edge},
    {"edge-atleast-reset", "adversarial", "T=24,N=4,K=2", "compare=atleast,absent=reset", "PairsEdge,PairsAbsent",
     "... and both", fill_edge},
    {"edge-fraction", "adversarial", "T=16,N=4,K=2", "unit=fraction", "PairsOnlyK2,PairsUnit,PairsEdge",
     "quarters of the batch: tokens would be due long before (SimSMoE's code counts fractions against f = 16)",
     fill_edge_fraction},
    {"edge-fraction-atleast", "adversarial", "T=16,N=4,K=2", "unit=fraction,compare=atleast,absent=reset",
     "PairsUnit,PairsEdge,PairsOverTK", "the same, at least", fill_edge_fraction},
    {"ordered", "adversarial", "T=32,N=4,K=2", "frequency=10", "PairsOrdered",
     "half of the tokens name the higher expert first", fill_pairs},
    {"below-diagonal", "adversarial", "T=32,N=4,K=2", "", "", "what lies below the diagonal is not read",
     fill_below_diagonal},
    {"large", "large", "T=256,N=16,K=2", "", "", "the experts of SimSMoE's experiments", fill_pairs},
    {"large-top-4", "large", "T=200,N=16,K=4", "unit=fraction,absent=reset", "", "four experts a token", fill_pairs},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- the similarity loss (S.4, S.5) ------------------------------------------------------------------------------- */

static const op_tensor loss_in[] = {
    {"x", "T,d", OP_INPUT, OP_DIFF, "tokens"},
    {"index", "T,K", OP_INPUT, OP_I64, "the experts of each token, distinct, by whichever gate"},
    {"selected", "N,N", OP_INPUT, OP_I64, "1 for the pairs i < j to compare, else 0; read above the diagonal"},
    {"w1", "N,h,d", OP_INPUT, OP_DIFF, "first layers of the experts"},
    {"b1", "N,h", OP_INPUT, OP_DIFF, "their biases"},
    {"w2", "N,d,h", OP_INPUT, OP_DIFF, "second layers of the experts"},
    {"b2", "N,d", OP_INPUT, OP_DIFF, "their biases"},
    {"wh", "g,d", OP_INPUT, OP_DIFF, "the head's hidden layer; a linear head does not read it"},
    {"bh", "g", OP_INPUT, OP_DIFF, "its bias; a linear head does not read it"},
    {"wp", "p,g", OP_INPUT, OP_DIFF, "the head's projection"},
    {"bp", "p", OP_INPUT, OP_DIFF, "its bias"},
    END_TENSORS,
};
static const op_tensor loss_out[] = {
    {"loss", "", OP_BOUNDED, OP_DIFF, "sum of the CKA of the selected pairs that exceed the threshold"},
    {"active", "N,N", OP_BOUNDED, 0, "1 for the pairs i < j whose CKA is in the loss, else 0"},
    {"cka", "N,N", OP_STAGE, 0, "CKA of the selected pairs i < j; 0 where a pair is not compared"},
    END_TENSORS,
};
static const op_param loss_param[] = {
    HEAD_PARAMETER,
    {"activation", OP_CHOICE, "relu|gelu", "of the experts"},
    SIMILARITY_PARAMETERS,
    END,
};

static const char *loss_check(const op_case *c)
{
    if (op_dim(c, 'h') < 1) return "h must be at least 1: the experts have no hidden unit";
    const char *wrong = choices(c);
    if (!wrong) wrong = head_widths(c, 'g');
    return wrong ? wrong : similarity_numbers(c);
}

static smoe_estimator estimator_of(const op_case *c)
{
    if (op_is(c, "estimator", "biased")) return SMOE_HSIC_BIASED;
    return op_is(c, "estimator", "unbiased") ? SMOE_HSIC_UNBIASED : SMOE_HSIC_DEBIASED;
}

static smoe_similarity similarity_of(const op_case *c)
{
    smoe_similarity how = {
        .kernel = op_is(c, "kernel", "linear") ? SMOE_KERNEL_LINEAR : SMOE_KERNEL_RBF,
        .sigma = op_real(c, "sigma"),
        .bandwidth = op_is(c, "bandwidth", "absolute") ? SMOE_BANDWIDTH_ABSOLUTE : SMOE_BANDWIDTH_MEDIAN,
        .diagonal = op_is(c, "diagonal", "with") ? SMOE_DIAGONAL_WITH : SMOE_DIAGONAL_WITHOUT,
        .middle = op_is(c, "middle", "mean") ? SMOE_MIDDLE_MEAN : SMOE_MIDDLE_LOWER,
        .median = op_is(c, "median", "distance") ? SMOE_MEDIAN_DISTANCE : SMOE_MEDIAN_SQUARE,
        .detach = op_is(c, "detach", "yes"),
        .estimator = estimator_of(c),
        .route = SMOE_ROUTE_GRAM,
        .divide = SMOE_DIVIDE_N_LESS_1,
    };
    return how;
}

static smoe_simsmoe_options loss_options(const op_case *c)
{
    return (smoe_simsmoe_options){
        .similarity = similarity_of(c),
        .threshold = op_real(c, "threshold"),
        .compare = comparison(c, "compare"),
        .reduce = op_is(c, "reduce", "sum") ? SMOE_PAIRS_SUM : SMOE_PAIRS_MEAN,
        .through_x = op_is(c, "detach_x", "yes") ? SMOE_X_DETACHED : SMOE_X_ATTACHED,
    };
}

static smoe_simsmoe_shape shape_of(const op_case *c, smoe_weight_order order)
{
    const smoe_simsmoe_shape s = {
        .layer = {order, op_is(c, "activation", "relu") ? SMOE_RELU : SMOE_GELU, op_dim(c, 'T'), op_dim(c, 'd'),
                  op_dim(c, 'h'), op_dim(c, 'N'), op_dim(c, 'K')},
        .head = linear_head(c) ? SMOE_HEAD_LINEAR : SMOE_HEAD_MLP,
        .g = op_dim(c, 'g'),
        .p = op_dim(c, 'p'),
    };
    return s;
}

static smoe_simsmoe_in inputs_of(const op_case *c)
{
    return (smoe_simsmoe_in){op_in(c, "x"),  op_in(c, "w1"), op_in(c, "b1"), op_in(c, "w2"), op_in(c, "b2"),
                             op_in(c, "wh"), op_in(c, "bh"), op_in(c, "wp"), op_in(c, "bp")};
}

/* A linear head leaves the gradients of what it does not read as they are. */
static smoe_simsmoe_grad gradients_of(const op_case *c)
{
    zeros(op_dim(c, 'g') * op_dim(c, 'd'), op_grad(c, "wh"));
    zeros(op_dim(c, 'g'), op_grad(c, "bh"));
    return (smoe_simsmoe_grad){op_grad(c, "x"),  op_grad(c, "w1"), op_grad(c, "b1"), op_grad(c, "w2"),
                               op_grad(c, "b2"), op_grad(c, "wh"), op_grad(c, "bh"), op_grad(c, "wp"),
                               op_grad(c, "bp"), NULL,             NULL};
}

/* What a loss needs beside its outputs. */
typedef struct {
    size_t *index, *selected, *active, *row;
    double *work;
} compared;

static smoe_status loss_run(op_case *c, const smoe_simsmoe_shape *s, const smoe_simsmoe_options *o, compared *m)
{
    const smoe_simsmoe_in in = inputs_of(c);
    const size_t N = s->layer.N;
    m->index = given_indices(c, "index", s->layer.T * s->layer.K);
    m->selected = given_indices(c, "selected", N * N);
    m->active = op_room(N * N, sizeof *m->active);
    m->row = op_room(s->layer.T, sizeof *m->row);
    m->work = op_room(smoe_similarity_loss_work(s, o), sizeof *m->work);
    const smoe_status status = smoe_similarity_loss(s, o, &in, m->index, m->selected, op_out(c, "cka"), m->active,
                                                    op_out(c, "loss"), m->row, m->work);
    write_flags(c, "active", N * N, m->active);
    return status;
}

static void compared_free(compared *m)
{
    free(m->index);
    free(m->selected);
    free(m->active);
    free(m->row);
    free(m->work);
}

static smoe_status loss_forward(op_case *c)
{
    const smoe_simsmoe_shape s = shape_of(c, SMOE_TOPK_SOFTMAX);
    const smoe_simsmoe_options o = loss_options(c);
    compared m;
    const smoe_status status = loss_run(c, &s, &o, &m);
    compared_free(&m);
    return status;
}

static smoe_status loss_vjp(op_case *c)
{
    const smoe_simsmoe_shape s = shape_of(c, SMOE_TOPK_SOFTMAX);
    const smoe_simsmoe_options o = loss_options(c);
    const smoe_simsmoe_in in = inputs_of(c);
    const smoe_simsmoe_grad grad = gradients_of(c);
    compared m;
    smoe_status status = loss_run(c, &s, &o, &m);
    if (status == SMOE_OK)
        status = smoe_similarity_loss_vjp(&s, &o, &in, m.index, m.selected, m.active, *op_cot(c, "loss"), &grad, m.row,
                                          m.work);
    compared_free(&m);
    return status;
}

/* --- its inputs --- */

static void select_all(op_case *c)
{
    const size_t N = op_dim(c, 'N');
    for (size_t e = 0; e < N * N; e++) op_in_i64(c, "selected")[e] = e / N < e % N;
}

static void select_pair(op_case *c, size_t e, bool on)
{
    size_t i, j;
    pair_number(op_dim(c, 'N'), e, &i, &j);
    op_in_i64(c, "selected")[i * op_dim(c, 'N') + j] = on;
}

static size_t pairs_of(size_t N) { return N * (N - 1) / 2; }

/* Every pair has T / pairs tokens, and all are selected. */
static void fill_loss(op_case *c, op_rng *r)
{
    op_fill_default(c, r);
    if (op_dim(c, 'K') == 2)
        in_turn(c, pairs_of(op_dim(c, 'N')));
    else
        draw_index(c, r);
    select_all(c);
}

/* Every other pair is selected. */
static void fill_loss_half(op_case *c, op_rng *r)
{
    fill_loss(c, r);
    for (size_t e = 1; e < pairs_of(op_dim(c, 'N')); e += 2) select_pair(c, e, false);
}

/* No pair is selected. */
static void fill_loss_none(op_case *c, op_rng *r)
{
    fill_loss(c, r);
    for (size_t e = 0; e < pairs_of(op_dim(c, 'N')); e++) select_pair(c, e, false);
}

/* All experts are copies of the first. */
static void copy_experts(op_case *c)
{
    static const char *const tensor[] = {"w1", "b1", "w2", "b2"};
    const size_t d = op_dim(c, 'd'), h = op_dim(c, 'h'), N = op_dim(c, 'N'), size[] = {h * d, h, d * h, d};
    for (size_t j = 0; j < 4; j++)
        for (size_t k = size[j]; k < N * size[j]; k++) op_in(c, tensor[j])[k] = op_in(c, tensor[j])[k % size[j]];
}

static void fill_loss_copies(op_case *c, op_rng *r)
{
    fill_loss(c, r);
    copy_experts(c);
}

/* Six pairs of four experts: 0, 1, 2, 3, 4 tokens, and the rest. */
static void fill_loss_few(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T');
    fill_loss(c, r);
    for (size_t t = 0; t < T; t++) {
        const size_t e = t < 1 ? 1 : t < 3 ? 2 : t < 6 ? 3 : t < 10 ? 4 : 5;
        size_t i, j;
        pair_number(4, e, &i, &j);
        op_in_i64(c, "index")[2 * t] = (int64_t)i;
        op_in_i64(c, "index")[2 * t + 1] = (int64_t)j;
    }
}

/* Row t of a Hadamard matrix of order 8, without its first column. */
static double hadamard(size_t t, size_t k)
{
    size_t bits = (t % 8) & (k + 1), odd = 0;
    for (; bits; bits >>= 1) odd ^= bits & 1;
    return odd ? -1 : 1;
}

/* Expert i passes two of the d = 4 coordinates on, {0,1}, {1,2}, {2,3}, {0,1}, ..., twice their value: W1 = [A; -A],
 * W2 = [2 A', -2 A'].  A linear head hands them out as they are.  Each of the six pairs has 8 tokens whose coordinates are
 * uncorrelated and of one size, so that a CKA is the number of common coordinates over 2. */
static void fill_loss_halves(op_case *c, op_rng *r)
{
    static const size_t first[] = {0, 1, 2, 0};
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), d = op_dim(c, 'd'), h = op_dim(c, 'h'), p = op_dim(c, 'p');
    fill_loss(c, r);
    for (size_t i = 0; c->op->in[i].name; i++)
        if (c->in[i].f64) zeros(c->in[i].count, c->in[i].f64);
    const size_t pairs = pairs_of(N);
    for (size_t t = 0; t < T; t++)
        for (size_t k = 0; k < d; k++) op_in(c, "x")[t * d + k] = hadamard(t / pairs, k);
    for (size_t i = 0; i < N; i++)
        for (size_t m = 0; m < 2; m++) {
            const size_t k = first[i % 4] + m;
            double *w1 = op_in(c, "w1") + i * h * d, *w2 = op_in(c, "w2") + i * d * h;
            w1[k * d + k] = 1;
            w1[(k + d) * d + k] = -1;
            w2[k * h + k] = 2;
            w2[k * h + k + d] = -2;
        }
    for (size_t k = 0; k < p; k++) op_in(c, "wp")[k * op_dim(c, 'g') + k] = 1;
}

/* Expert 0 is dead, its output the same for all tokens; the others are as in fill_loss_halves(). */
static void fill_loss_dead(op_case *c, op_rng *r)
{
    const size_t d = op_dim(c, 'd'), h = op_dim(c, 'h');
    fill_loss_halves(c, r);
    for (size_t k = 0; k < h; k++) op_in(c, "b1")[k] = -4;
    for (size_t k = 0; k < d; k++) op_in(c, "b2")[k] = 1;
}

/* Experts whose outputs have nothing in common, and a head of random weights. */
static void fill_loss_apart(op_case *c, op_rng *r)
{
    fill_loss(c, r);
    const size_t n = op_dim(c, 'N') * op_dim(c, 'd') * op_dim(c, 'h');
    for (size_t k = 0; k < n; k++) op_in(c, "w2")[k] = op_representable(2 * op_in(c, "w2")[k]);
}

/* Pre-activations near 0, where GELU is not ReLU. */
static void fill_loss_near(op_case *c, op_rng *r)
{
    fill_loss(c, r);
    const size_t N = op_dim(c, 'N'), d = op_dim(c, 'd'), h = op_dim(c, 'h');
    for (size_t k = 0; k < N * h * d; k++) op_in(c, "w1")[k] = op_representable(op_in(c, "w1")[k] / 2);
    for (size_t k = 0; k < N * h; k++) op_in(c, "b1")[k] = op_representable(op_in(c, "b1")[k] - 0.5);
}

#define FOUR "T=48,d=6,N=4,K=2,h=8,g=8,p=4"
#define FOUR_LINEAR "T=48,d=6,N=4,K=2,h=8,g=6,p=4"
#define HALVES "T=48,d=4,N=4,K=2,h=8,g=4,p=4"

static const op_spec loss_cases[] = {
    {"small", "smoke", "T=18,d=4,N=3,K=2,h=6,g=5,p=3", "threshold=0.125", "", "a first look", fill_loss},
    {"small-rbf", "smoke", "T=18,d=4,N=3,K=2,h=6,g=4,p=3", "kind=linear,kernel=rbf,threshold=0.125", "",
     "a first look at the kernel of SimSMoE's code", fill_loss},
    {"random", "core", FOUR, "", "", "random weights, defaults", fill_loss},
    {"random-mean", "core", FOUR, "reduce=mean", "", "the mean over the pairs", fill_loss_half},
    {"code", "core", FOUR_LINEAR, "kind=linear,kernel=rbf", "",
     "SimSMoE's code: a linear head, an RBF of sigma 0.8", fill_loss},
    {"unbiased", "core", FOUR, "estimator=unbiased,threshold=-1", "", "HSIC_1: a CKA may be negative", fill_loss},
    {"debiased", "core", FOUR, "estimator=debiased,threshold=0.25", "", "HSIC_1 by U-centring", fill_loss},
    {"rbf-median", "core", FOUR, "kernel=rbf,bandwidth=median,threshold=0.125", "RbfAbsoluteSigma,MedianRule",
     "sigma is a fraction of the median distance", fill_loss},
    {"rbf-median-rules", "core", FOUR,
     "kernel=rbf,bandwidth=median,diagonal=without,middle=lower,median=square,threshold=0.125", "MedianRule",
     "the other rules of the median", fill_loss},
    {"rbf-trained", "core", FOUR, "kernel=rbf,bandwidth=median,detach=no,threshold=0.125", "BandwidthDetached",
     "a bandwidth that is trained", fill_loss},
    {"attached", "core", FOUR, "detach_x=no,threshold=0.125", "XDetached", "the tokens get a gradient too", fill_loss},
    {"gelu", "core", FOUR, "activation=gelu,threshold=0.125", "ReluHardCoded",
     "GELU experts (SimSMoE's code has ReLU whatever the layer has)", fill_loss},
    {"top-3", "core", "T=24,d=6,N=4,K=3,h=8,g=8,p=4", "threshold=0.125", "PairsOnlyK2",
     "three experts a token: each token counts for three pairs", fill_loss},
    {"all-chosen", "core", "T=8,d=6,N=3,K=3,h=8,g=8,p=4", "threshold=0.125", "PairsOnlyK2", "K = N", fill_loss},
    {"top-1", "core", "T=8,d=6,N=4,K=1,h=8,g=8,p=4", "", "", "one expert a token: no pair, loss 0", fill_loss},
    {"one-expert", "core", "T=6,d=4,N=1,K=1,h=6,g=5,p=3", "", "", "no pair at all", fill_loss},
    {"no-tokens", "core", "T=0,d=4,N=3,K=2,h=6,g=5,p=3", "", "SmallNNaN", "no tokens: loss 0", fill_loss},
    {"none", "core", FOUR, "threshold=0.125", "UnselectedPairs", "no pair is selected: loss and gradients exactly 0",
     fill_loss_none},
    {"none-mean", "core", FOUR, "threshold=0.125,reduce=mean", "", "... and no mean of nothing", fill_loss_none},
    {"half", "core", FOUR, "threshold=0.125", "UnselectedPairs", "three of six pairs are selected", fill_loss_half},
    {"copies", "adversarial", FOUR, "", "CollapseStationary",
     "experts are copies: each CKA is 1, the loss 6, and the gradient 0: collapse is a stationary point",
     fill_loss_copies},
    {"copies-rbf", "adversarial", FOUR_LINEAR, "kind=linear,kernel=rbf,bandwidth=median", "CollapseStationary",
     "the same by an RBF", fill_loss_copies},
    {"few", "adversarial", "T=18,d=6,N=4,K=2,h=8,g=8,p=4", "threshold=0.125", "SmallNNaN,PairsMeanActive",
     "pairs of 0, 1, 2, 3, 4 and 8 tokens; with two the CKA is 1 whatever they are", fill_loss_few},
    {"few-mean", "adversarial", "T=18,d=6,N=4,K=2,h=8,g=8,p=4", "threshold=0.125,reduce=mean",
     "SmallNNaN,PairsMeanActive", "the same, averaged over six", fill_loss_few},
    {"few-unbiased", "adversarial", "T=18,d=6,N=4,K=2,h=8,g=8,p=4", "estimator=unbiased,threshold=-2",
     "SmallNNaN,BiasedSmallN", "HSIC_1 needs four; SimSMoE's code has no such floor", fill_loss_few},
    {"halves", "adversarial", HALVES, "kind=linear,threshold=0.25", "ThresholdMissing,ThresholdSubtracted",
     "a CKA of exactly 0, 1/2 or 1 for each pair: four of six are above 1/4", fill_loss_halves},
    {"halves-mean", "adversarial", HALVES, "kind=linear,threshold=0.25,reduce=mean", "PairsReduce,PairsMeanActive",
     "the mean is over the six that are selected, not the four above", fill_loss_halves},
    {"halves-high", "adversarial", HALVES, "kind=linear,threshold=0.75", "ThresholdMissing",
     "one of six is above 3/4", fill_loss_halves},
    {"zero-edge", "adversarial", HALVES, "kind=linear,threshold=0", "ThresholdEdge",
     "two pairs stand exactly at T* = 0: not above it", fill_loss_halves},
    {"zero-edge-atleast", "adversarial", HALVES, "kind=linear,threshold=0,compare=atleast", "ThresholdEdge",
     "... but at least it", fill_loss_halves},
    {"dead", "adversarial", HALVES, "kind=linear,threshold=0.25", "ZeroVariance",
     "an expert whose output never changes: its CKA is undefined and skipped", fill_loss_dead},
    {"apart", "adversarial", FOUR, "kernel=rbf,bandwidth=median,threshold=0.125", "RbfAbsoluteSigma",
     "large outputs: an absolute sigma calls anything alike, with no gradient", fill_loss_apart},
    {"near", "adversarial", FOUR, "activation=gelu,threshold=0.125", "ReluHardCoded",
     "pre-activations near 0", fill_loss_near},
    {"large", "large", "T=128,d=64,N=8,K=2,h=128,g=64,p=16", "threshold=0.125", "", "a layer of some size",
     fill_loss_half},
    {"large-code", "large", "T=128,d=64,N=8,K=2,h=128,g=64,p=16", "kind=linear,kernel=rbf,threshold=0.125", "",
     "the same as in SimSMoE's code", fill_loss_half},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- records ------------------------------------------------------------------------------------------------------ */

const op_record op_simsmoe[] = {
    {"simsmoe.head", "Projection head", "S.1", "z = Wp max(Wh o + bh, 0) + bp;  kind=linear: z = Wp o + bp",
     "mlp: notes on SimSMoE (arXiv 2406.15883), one hidden layer; linear: SimSMoE's code (read and run)",
     "ref/simsmoe.c: smoe_head_mlp, smoe_head_mlp_vjp, smoe_head_linear, smoe_head_linear_vjp", head_in, head_out,
     head_param, head_cases, head_check, head_forward, head_vjp},
    {"simsmoe.pairs", "Pairs of experts that share tokens", "S.2 S.3",
     "shared_ij = #{t : i, j in I_t};  c = counter + shared (or shared/T);  selected if c > f;  next = 0 if selected, "
     "else c",
     "tokens and >= f: notes on SimSMoE; fractions, > f and the reset: its code (read and run); K > 2 is ours",
     "ref/simsmoe.c: smoe_shared_tokens, smoe_pair_counters", pairs_in, pairs_out, pairs_param, pairs_cases, pairs_check,
     pairs_forward, NULL},
    {"simsmoe.loss", "Similarity loss of pairs of experts", "S.1 S.2 S.4 S.5",
     "loss = sum of CKA(z_i, z_j) over selected pairs whose CKA exceeds T*;  z_i = head(E_i(X)), X the tokens that i and j "
     "share",
     "SimSMoE (arXiv 2406.15883) as notes on it have it; its code (read and run)",
     "ref/simsmoe.c: smoe_similarity_loss, smoe_similarity_loss_vjp", loss_in, loss_out, loss_param, loss_cases,
     loss_check, loss_forward, loss_vjp},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
