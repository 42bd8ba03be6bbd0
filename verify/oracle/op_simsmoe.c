/* Operations of chapter S: spec/07-simsmoe.md. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "op_similarity.h"
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
    KERNEL_PARAMETERS("of the representations z"), ESTIMATOR_PARAMETER,                                                \
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
    if (similarity_sigma(c)) return similarity_sigma(c);
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
    if (linear_head(c)) return smoe_head_linear(n, d, p, op_in(c, "o"), op_in(c, "wp"), op_in(c, "bp"), op_out(c, "z"));
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

/* The first three of six pairs get tokens.  Counters: far below, a little below, just at the frequency with what this
 * batch adds to each; and without tokens far below, at, and above it. */
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

/* A quarter of the tokens, exact in binary, for each of the three, and the rest for a fourth. */
static void fill_edge_fraction(op_case *c, op_rng *r)
{
    (void)r;
    const size_t T = op_dim(c, 'T');
    edge(c, 0.25);
    for (size_t t = 0; t < T; t++) {
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
    {"thirds", "core", "T=24,N=4,K=2", "unit=fraction,frequency=10.3", "", "fractions that are not binary", fill_pairs},
    {"top-1", "core", "T=12,N=4,K=1", "", "", "one expert a token: no pair shares any", fill_pairs},
    {"top-3", "core", "T=24,N=5,K=3", "", "PairsOnlyK2,PairsExactSet,PairsOfFirst,PairsNeighbours",
     "three experts a token are three pairs; SimSMoE's code stops at K = 3", fill_pairs},
    {"top-3-fraction", "core", "T=32,N=5,K=3", "unit=fraction,frequency=8,compare=atleast", "PairsOnlyK2,PairsOverTK",
     "the same in fractions", fill_pairs},
    {"all-chosen", "core,adversarial", "T=8,N=4,K=4", "frequency=12", "PairsOnlyK2",
     "K = N: every pair shares every token", fill_pairs},
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

static smoe_similarity similarity_of(const op_case *c)
{
    smoe_similarity how = similarity_meant(c);
    how.estimator = similarity_estimator(c);
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
    return (smoe_simsmoe_grad){op_grad(c, "x"),
                               op_grad(c, "w1"),
                               op_grad(c, "b1"),
                               op_grad(c, "w2"),
                               op_grad(c, "b2"),
                               op_grad(c, "wh"),
                               op_grad(c, "bh"),
                               op_grad(c, "wp"),
                               op_grad(c, "bp"),
                               NULL,
                               NULL};
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

/* Row t of a Hadamard matrix of order 8, without its first column.  Its last two rows are exchanged, for otherwise all
 * rows in the reverse order would be columns times -1. */
static double hadamard(size_t t, size_t k)
{
    const size_t row = t % 8 < 6 ? t % 8 : 13 - t % 8;
    size_t odd = 0;
    for (size_t bits = row & (k + 1); bits; bits >>= 1) odd ^= bits & 1;
    return odd ? -1 : 1;
}

/* Expert i passes two of p coordinates on, twice their value, by W1 = [A; -A] and W2 = [2 A', -2 A'] with h = 2 p:
 * {0,1}, {1,2}, {2,3}, {0,1} of four, {0,1}, {1,2}, {2,0} of three.  A linear head hands the p out as they are.  They
 * start at coordinate `from`.  The hidden units that an expert does not use are dead, off the kink. */
static void passing_experts(op_case *c, size_t from)
{
    static const size_t first[] = {0, 1, 2, 0};
    const size_t N = op_dim(c, 'N'), d = op_dim(c, 'd'), h = op_dim(c, 'h'), p = op_dim(c, 'p');
    for (size_t k = 0; k < N * h; k++) op_in(c, "b1")[k] = -1;
    for (size_t i = 0; i < N; i++)
        for (size_t m = 0; m < 2; m++) {
            const size_t u = (first[i % 4] + m) % p, k = from + u;
            op_in(c, "b1")[i * h + u] = op_in(c, "b1")[i * h + u + p] = 0;
            double *w1 = op_in(c, "w1") + i * h * d, *w2 = op_in(c, "w2") + i * d * h;
            w1[u * d + k] = 1;
            w1[(u + p) * d + k] = -1;
            w2[k * h + u] = 2;
            w2[k * h + u + p] = -2;
        }
    for (size_t k = 0; k < p; k++) op_in(c, "wp")[k * op_dim(c, 'g') + from + k] = 1;
}

/* Each of the six pairs has 8 tokens (of three, 4) whose coordinates are uncorrelated and of one size, so that a CKA is
 * the number of common coordinates over 2. */
static void fill_loss_halves(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd'), pairs = pairs_of(op_dim(c, 'N'));
    fill_loss(c, r);
    for (size_t i = 0; c->op->in[i].name; i++)
        if (c->in[i].f64) zeros(c->in[i].count, c->in[i].f64);
    for (size_t t = 0; t < T; t++)
        for (size_t k = 0; k < d; k++) op_in(c, "x")[t * d + k] = hadamard(t / pairs, k);
    passing_experts(c, 0);
}

/* One pair alone: with all three of them the gradient is 0. */
static void fill_loss_one_half(op_case *c, op_rng *r)
{
    fill_loss_halves(c, r);
    select_pair(c, 1, false);
    select_pair(c, 2, false);
}

/* All three experts have every token, named in the same order. */
static void fill_loss_all_three(op_case *c, op_rng *r)
{
    fill_loss_halves(c, r);
    for (size_t t = 0; t < op_dim(c, 'T'); t++)
        for (size_t j = 0; j < 3; j++) {
            op_in_i64(c, "index")[3 * t + j] = (int64_t)j;
            op_in(c, "x")[3 * t + j] = hadamard(t, j);
        }
}

/* The head drops a coordinate: a CKA of 1/sqrt 2 twice, and one of 0, where the outputs have 1/2 three times. */
static void fill_loss_drop(op_case *c, op_rng *r)
{
    fill_loss_halves(c, r);
    zeros(3, op_in(c, "wp") + 6);
}

/* Outputs far from 0. */
static void fill_loss_offset(op_case *c, op_rng *r)
{
    fill_loss_halves(c, r);
    for (size_t k = 0; k < op_dim(c, 'N') * op_dim(c, 'd'); k++) op_in(c, "b2")[k] = 2;
}

/* A head whose hidden unit k sees the sum of the coordinates k and k + 1, less 3/2, of outputs that b2 moves. */
static void fill_loss_sums(op_case *c, op_rng *r)
{
    const size_t d = op_dim(c, 'd'), g = op_dim(c, 'g');
    fill_loss_halves(c, r);
    for (size_t k = 0; k < g; k++) {
        op_in(c, "wh")[k * d + k] = op_in(c, "wh")[k * d + (k + 1) % d] = 1;
        op_in(c, "bh")[k] = -1.5;
    }
    for (size_t k = 0; k < op_dim(c, 'N') * d; k++) op_in(c, "b2")[k] = 0.5;
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

/* One pair of experts of one unit, gelu(x) and gelu(-x - 5/2) of -11/4, -3/2 and 0: GELU is small there, and tanh's form
 * of it another number. */
static void fill_loss_left(op_case *c, op_rng *r)
{
    static const double x[] = {-2.75, -1.5, 0};
    fill_loss(c, r);
    for (size_t i = 0; c->op->in[i].name; i++)
        if (c->in[i].f64) zeros(c->in[i].count, c->in[i].f64);
    for (size_t t = 0; t < 3; t++) op_in(c, "x")[t] = x[t];
    op_in(c, "w1")[0] = op_in(c, "w2")[0] = op_in(c, "w2")[1] = op_in(c, "wp")[0] = 1;
    op_in(c, "w1")[1] = -1;
    op_in(c, "b1")[1] = -2.5;
}

#define FOUR         "T=48,d=6,N=4,K=2,h=8,g=8,p=4"
#define FOUR_LINEAR  "T=48,d=6,N=4,K=2,h=8,g=6,p=4"
#define THREE        "T=24,d=6,N=3,K=2,h=8,g=8,p=4"
#define THREE_LINEAR "T=24,d=6,N=3,K=2,h=8,g=6,p=4"
#define THREE_HALVES "T=12,d=3,N=3,K=2,h=6,g=3,p=3"
#define HALVES       "T=48,d=4,N=4,K=2,h=8,g=4,p=4"

static const op_spec loss_cases[] = {
    {"small", "smoke", "T=18,d=4,N=3,K=2,h=6,g=5,p=3", "threshold=0.125", "", "a first look", fill_loss},
    {"small-rbf", "smoke", "T=18,d=4,N=3,K=2,h=6,g=4,p=3", "kind=linear,kernel=rbf,threshold=0.125", "",
     "a first look at the kernel of SimSMoE's code", fill_loss},
    {"random", "core", FOUR, "", "", "random weights, defaults", fill_loss},
    {"random-mean", "core", THREE, "reduce=mean", "", "the mean over the pairs", fill_loss_half},
    {"code", "core", THREE_LINEAR, "kind=linear,kernel=rbf", "", "SimSMoE's code: a linear head, an RBF of sigma 0.8",
     fill_loss},
    {"unbiased", "core", THREE, "estimator=unbiased,threshold=-1", "", "HSIC_1: a CKA may be negative", fill_loss},
    {"debiased", "core", THREE, "estimator=debiased,threshold=0.25", "", "HSIC_1 by U-centring", fill_loss},
    {"rbf-median", "core", THREE, "kernel=rbf,bandwidth=median,threshold=0.125", "RbfAbsoluteSigma,MedianRule",
     "sigma is a fraction of the median distance", fill_loss},
    {"rbf-median-rules", "core,adversarial", THREE,
     "kernel=rbf,bandwidth=median,diagonal=without,middle=lower,median=square,threshold=0.125", "MedianRule",
     "the other rules of the median", fill_loss},
    {"rbf-trained", "core,adversarial", THREE, "kernel=rbf,bandwidth=median,detach=no,threshold=0.125",
     "BandwidthDetached", "a bandwidth that is trained", fill_loss},
    {"rbf-half", "core", THREE, "kernel=rbf,bandwidth=median,sigma=0.5,estimator=debiased,threshold=-1", "",
     "half the median, as in Kornblith's example, and a CKA without bias", fill_loss},
    {"attached", "core", THREE, "detach_x=no,threshold=0.125", "XDetached", "the tokens get a gradient too", fill_loss},
    {"gelu", "core", THREE, "activation=gelu,threshold=0.125", "ReluHardCoded",
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
    {"three-halves", "adversarial", THREE_HALVES, "kind=linear,threshold=0.25", "ThresholdMissing,HeadDetached",
     "a CKA of 1/2 from four tokens: what formats of few digits can tell", fill_loss_one_half},
    {"three-halves-attached", "adversarial", THREE_HALVES, "kind=linear,threshold=0.25,detach_x=no", "XDetached",
     "the same with a gradient to the tokens", fill_loss_one_half},
    {"three-halves-all", "adversarial", "T=4,d=3,N=3,K=3,h=6,g=3,p=3", "kind=linear,threshold=0.25",
     "PairsOnlyK2,PairsExactSet,PairsOfFirst,PairsNeighbours", "three pairs a token, each with a CKA of 1/2",
     fill_loss_all_three},
    {"three-halves-two", "adversarial", "T=6,d=3,N=3,K=2,h=6,g=3,p=3", "kind=linear,threshold=0.25", "SmallNNaN",
     "two tokens a pair: each CKA is 1", fill_loss_halves},
    {"three-halves-drop", "adversarial", THREE_HALVES, "kind=linear,threshold=0.625", "HeadNone",
     "the head drops what keeps the outputs apart", fill_loss_drop},
    {"halves-offset", "adversarial", HALVES, "kind=linear,threshold=0.25", "Uncentred",
     "outputs far from 0 whose kernels look alike unless they are centred", fill_loss_offset},
    {"halves-sums", "adversarial", HALVES, "threshold=0.125", "HeadNoActivation,HeadBias,MissingBias",
     "a head whose ReLU cuts", fill_loss_sums},
    {"halves-rbf", "adversarial", HALVES, "kind=linear,kernel=rbf,threshold=0.125", "KernelLinear,RbfFractionSigma",
     "an RBF far narrower than the distances", fill_loss_halves},
    {"halves-median", "adversarial", HALVES, "kind=linear,kernel=rbf,bandwidth=median,threshold=0.125",
     "RbfAbsoluteSigma,KernelLinear", "an RBF as wide as the distances", fill_loss_halves},
    {"halves-unbiased", "adversarial", HALVES, "kind=linear,estimator=unbiased,threshold=-1",
     "NegativeHsicRoot,BiasedSmallN", "a CKA below 0 where outputs have nothing in common", fill_loss_halves},
    {"halves-high", "adversarial", HALVES, "kind=linear,threshold=0.75", "ThresholdMissing", "one of six is above 3/4",
     fill_loss_halves},
    {"zero-edge", "adversarial", HALVES, "kind=linear,threshold=0", "ThresholdEdge",
     "two pairs stand exactly at T* = 0: not above it", fill_loss_halves},
    {"zero-edge-atleast", "adversarial", HALVES, "kind=linear,threshold=0,compare=atleast", "ThresholdEdge",
     "... but at least it", fill_loss_halves},
    {"dead", "adversarial", HALVES, "kind=linear,threshold=0.25", "ZeroVariance",
     "an expert whose output never changes: its CKA is undefined and skipped", fill_loss_dead},
    {"apart", "adversarial", THREE, "kernel=rbf,bandwidth=median,threshold=0.125", "RbfAbsoluteSigma",
     "large outputs: an absolute sigma calls anything alike, with no gradient", fill_loss_apart},
    {"near", "adversarial", THREE, "activation=gelu,threshold=0.125", "ReluHardCoded", "pre-activations near 0",
     fill_loss_near},
    {"left", "adversarial", "T=3,d=1,N=2,K=2,h=1,g=1,p=1", "kind=linear,activation=gelu,threshold=0.25", "GeluTanh",
     "where GELU is small its two forms are far apart", fill_loss_left},
    {"large", "large", "T=128,d=64,N=8,K=2,h=128,g=64,p=16", "threshold=0.125", "", "a layer of some size",
     fill_loss_half},
    {"large-code", "large", "T=128,d=64,N=8,K=2,h=128,g=64,p=16", "kind=linear,kernel=rbf,threshold=0.125", "",
     "the same as in SimSMoE's code", fill_loss_half},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- the layer (S.6) and one training step (S.7) ------------------------------------------------------------------ */

#define LAYER_IN                                                                                                       \
    {"x", "T,d", OP_INPUT, OP_DIFF, "tokens"}, {"wr", "N,d", OP_INPUT, OP_DIFF, "the router's weights"},               \
        {"br", "N", OP_INPUT, OP_DIFF, "the router's bias"},                                                           \
        {"w1", "N,h,d", OP_INPUT, OP_DIFF, "first layers of the experts"},                                             \
        {"b1", "N,h", OP_INPUT, OP_DIFF, "their biases"},                                                              \
        {"w2", "N,d,h", OP_INPUT, OP_DIFF, "second layers of the experts"},                                            \
        {"b2", "N,d", OP_INPUT, OP_DIFF, "their biases"},                                                              \
        {"wh", "g,d", OP_INPUT, OP_DIFF, "the head's hidden layer; a linear head does not read it"},                   \
        {"bh", "g", OP_INPUT, OP_DIFF, "its bias; a linear head does not read it"},                                    \
        {"wp", "p,g", OP_INPUT, OP_DIFF, "the head's projection"}, {"bp", "p", OP_INPUT, OP_DIFF, "its bias"},         \
    {                                                                                                                  \
        "counter", "N,N", OP_INPUT, 0, "the counters before this batch, not negative; read above the diagonal"         \
    }
#define LAYER_OUT                                                                                                      \
    {"balance", "", OP_BOUNDED, OP_DIFF, "balancing loss of r"},                                                       \
        {"similarity", "", OP_BOUNDED, OP_DIFF, "similarity loss of the selected pairs"},                              \
        {"index", "T,K", OP_DECISION, OP_I64, "the K experts of each token"},                                          \
        {"weight", "T,K", OP_BOUNDED, OP_DIFF, "their weights, in the order of index"},                                \
        {"shared", "N,N", OP_EXACT, OP_I64, "tokens that have both experts i < j; 0 elsewhere"},                       \
        {"next", "N,N", OP_BOUNDED, 0, "the counters after this batch"},                                               \
        {"selected", "N,N", OP_BOUNDED, 0, "1 for the pairs i < j that are compared, else 0"},                         \
        {"active", "N,N", OP_BOUNDED, 0, "1 for the pairs i < j whose CKA is in the loss, else 0"},                    \
        {"margin", "T", OP_STAGE, OP_MARGIN, "K-th minus (K+1)-th largest logit, +inf if K = N"},                      \
        {"r", "T,N", OP_STAGE, 0, "router logits"},                                                                    \
    {                                                                                                                  \
        "cka", "N,N", OP_STAGE, 0, "CKA of the selected pairs i < j; 0 where a pair is not compared"                   \
    }
#define LAYER_PARAMETERS                                                                                               \
    {"k", OP_INT, "2", "experts a token"},                                                                             \
        {"order", OP_CHOICE, "topk-softmax|softmax-topk|softmax-topk-renorm",                                          \
         "how weights are made of logits: G.2, G.3 or G.4"},                                                           \
        {"activation", OP_CHOICE, "relu|gelu", "of the experts"}, HEAD_PARAMETER, COUNTER_PARAMETERS("due"),           \
        SIMILARITY_PARAMETERS, {"c_balance", OP_REAL, "0.01", "coefficient of balance"},                               \
    {                                                                                                                  \
        "c_similarity", OP_REAL, "0.01", "coefficient of similarity"                                                   \
    }

static const op_tensor layer_in[] = {LAYER_IN, END_TENSORS};
static const op_tensor layer_out[] = {
    {"y", "T,d", OP_BOUNDED, OP_DIFF, "output of the layer"},
    {"loss", "", OP_BOUNDED, OP_DIFF, "the terms by their coefficients"},
    LAYER_OUT,
    END_TENSORS,
};
static const op_param layer_param[] = {LAYER_PARAMETERS, END};

static const op_tensor step_in[] = {
    LAYER_IN,
    {"target", "T,d", OP_INPUT, 0, "what y is to be"},
    END_TENSORS,
};
static const op_tensor step_out[] = {
    {"y", "T,d", OP_BOUNDED, OP_DIFF, "output of the layer"},
    {"loss", "", OP_BOUNDED, OP_DIFF, "task, balance and similarity by their coefficients"},
    {"task", "", OP_BOUNDED, OP_DIFF, "mean squared error of y"},
    LAYER_OUT,
    END_TENSORS,
};
static const op_param step_param[] = {LAYER_PARAMETERS, {"c_task", OP_REAL, "1", "coefficient of the task"}, END};

static const char *layer_check(const op_case *c)
{
    if (op_int(c, "k") < 1 || op_int(c, "k") > (long)op_dim(c, 'N')) return "k must be from 1 to N";
    const char *wrong = loss_check(c);
    return wrong ? wrong : counter_numbers(c);
}

static bool is_step(const op_case *c) { return strcmp(c->op->id, "simsmoe.step") == 0; }

static smoe_weight_order order_of(const op_case *c)
{
    if (op_is(c, "order", "topk-softmax")) return SMOE_TOPK_SOFTMAX;
    return op_is(c, "order", "softmax-topk") ? SMOE_SOFTMAX_TOPK : SMOE_SOFTMAX_TOPK_RENORM;
}

static smoe_simsmoe_options layer_options(const op_case *c)
{
    smoe_simsmoe_options o = loss_options(c);
    o.unit = unit_of(c);
    o.due = comparison(c, "due");
    o.absent = absent_of(c);
    o.frequency = op_real(c, "frequency");
    o.c_task = is_step(c) ? op_real(c, "c_task") : 0;
    o.c_balance = op_real(c, "c_balance");
    o.c_similarity = op_real(c, "c_similarity");
    return o;
}

/* Everything between inputs and outputs, in one block of doubles and one of indices. */
typedef struct {
    smoe_simsmoe_shape shape;
    smoe_simsmoe_options options;
    smoe_simsmoe_in in;
    smoe_gated gate;
    smoe_simsmoe_out out;
    smoe_simsmoe_kept kept;
    size_t *index; /* the gate's */
    double *p; /* [T,N] the gate's probabilities */
    double *dr, *dweight, *work;
    double *doubles;
    size_t *indices;
} inside;

static double *cut(double **block, size_t n)
{
    double *p = *block;
    *block += n;
    return p;
}

static size_t *cut_indices(size_t **block, size_t n)
{
    size_t *p = *block;
    *block += n;
    return p;
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

static inside inside_new(const op_case *c)
{
    inside m = {.shape = shape_of(c, order_of(c)), .options = layer_options(c), .in = inputs_of(c)};
    const smoe_layer_shape *s = &m.shape.layer;
    const size_t T = s->T, N = s->N, A = T * s->K, d = s->d, h = s->h;
    const size_t work = larger(larger(smoe_simsmoe_layer_vjp_work(&m.shape, &m.options) + T * d,
                                      smoe_similarity_loss_work(&m.shape, &m.options)),
                               T * N + T * d + N);
    double *q = m.doubles = op_room(3 * T * N + A + 2 * A * (d + h) + 2 * N + work, sizeof *q);
    size_t *i = m.indices = op_room(3 * A + 2 * N + 1 + T + 3 * N * N, sizeof *i);
    m.index = cut_indices(&i, A);
    m.p = cut(&q, T * N);
    m.dr = cut(&q, T * N);
    m.dweight = cut(&q, A);
    m.gate = (smoe_gated){op_out(c, "r"), m.index, op_out(c, "weight")};
    m.out = (smoe_simsmoe_out){.y = op_out(c, "y"),
                               .loss = op_out(c, "loss"),
                               .balance = op_out(c, "balance"),
                               .similarity = op_out(c, "similarity"),
                               .shared = cut_indices(&i, N * N),
                               .selected = cut_indices(&i, N * N),
                               .active = cut_indices(&i, N * N),
                               .next = op_out(c, "next"),
                               .cka = op_out(c, "cka")};
    m.kept = (smoe_simsmoe_kept){.layer = {.offset = cut_indices(&i, N + 1),
                                           .slot = cut_indices(&i, A),
                                           .place = cut_indices(&i, A),
                                           .p = cut(&q, T * N),
                                           .xs = cut(&q, A * d),
                                           .o = cut(&q, A * d),
                                           .a = cut(&q, A * h),
                                           .u = cut(&q, A * h)},
                                 .f = cut(&q, N),
                                 .P = cut(&q, N),
                                 .count = cut_indices(&i, N),
                                 .row = cut_indices(&i, T)};
    m.work = cut(&q, work);
    return m;
}

static void inside_free(inside *m)
{
    free(m->doubles);
    free(m->indices);
}

static smoe_status layer_run(op_case *c, inside *m)
{
    const size_t N = m->shape.layer.N;
    const smoe_status status = smoe_router(&m->shape.layer, m->in.x, op_in(c, "wr"), op_in(c, "br"), op_out(c, "r"),
                                           m->index, op_out(c, "weight"), op_out(c, "margin"), m->p);
    if (status != SMOE_OK) return status;
    const double *counter = op_in(c, "counter");
    const smoe_status layer =
        is_step(c) ? smoe_simsmoe_step(&m->shape, &m->options, &m->in, &m->gate, counter, op_in(c, "target"), &m->out,
                                       op_out(c, "task"), &m->kept, m->work)
                   : smoe_simsmoe_layer(&m->shape, &m->options, &m->in, &m->gate, counter, &m->out, &m->kept, m->work);
    op_write_index(c, "index", m->shape.layer.T * m->shape.layer.K, m->index);
    op_write_index(c, "shared", N * N, m->out.shared);
    write_flags(c, "selected", N * N, m->out.selected);
    write_flags(c, "active", N * N, m->out.active);
    return layer;
}

static smoe_status layer_forward(op_case *c)
{
    inside m = inside_new(c);
    const smoe_status status = layer_run(c, &m);
    inside_free(&m);
    return status;
}

static smoe_status layer_back(op_case *c, inside *m)
{
    const smoe_simsmoe_cot cot = {op_cot(c, "y"), *op_cot(c, "loss"), *op_cot(c, "balance"), *op_cot(c, "similarity")};
    smoe_simsmoe_grad grad = gradients_of(c);
    grad.r = m->dr;
    grad.weight = m->dweight;
    if (is_step(c))
        return smoe_simsmoe_step_vjp(&m->shape, &m->options, &m->in, &m->gate, op_in(c, "target"), &m->out, &m->kept,
                                     &cot, *op_cot(c, "task"), &grad, m->work);
    return smoe_simsmoe_layer_vjp(&m->shape, &m->options, &m->in, &m->gate, &m->out, &m->kept, &cot, &grad, m->work);
}

/* The forward once more, for what lies between; then the layer, then its router. */
static smoe_status layer_vjp(op_case *c)
{
    inside m = inside_new(c);
    smoe_status status = layer_run(c, &m);
    if (status == SMOE_OK) status = layer_back(c, &m);
    for (size_t a = 0; a < m.shape.layer.T * m.shape.layer.K; a++) m.dweight[a] += op_cot(c, "weight")[a];
    if (status == SMOE_OK)
        status =
            smoe_router_vjp(&m.shape.layer, m.in.x, op_in(c, "wr"), m.index, op_out(c, "weight"), m.p, m.dr, m.dweight,
                            op_grad(c, "x"), op_grad(c, "x"), op_grad(c, "wr"), op_grad(c, "br"), m.work);
    inside_free(&m);
    return status;
}

/* --- their inputs --- */

/* Routing by hand: the first N coordinates of a token are its logits, Wr = [I 0], br = 0; `rank` says which place
 * expert i has in token t's preference.  Needs d >= N. */
static void route(op_case *c, size_t (*rank)(size_t t, size_t i, size_t N))
{
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd'), N = op_dim(c, 'N');
    for (size_t k = 0; k < N * d; k++) op_in(c, "wr")[k] = k / d == k % d;
    zeros(N, op_in(c, "br"));
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) op_in(c, "x")[t * d + i] = 1.5 - 0.75 * (double)rank(t, i, N);
}

/* The pairs in turn, as in in_turn(); behind them the others in their order. */
static size_t by_pairs(size_t t, size_t i, size_t N)
{
    const size_t pairs = pairs_of(N);
    size_t a, b;
    if (N < 2) return 0;
    pair_number(N, t % pairs, &a, &b);
    const bool turned = t / pairs % 2;
    if (i == a) return turned;
    if (i == b) return !turned;
    return i + 2 - (i > a) - (i > b);
}

static size_t all_alike(size_t t, size_t i, size_t N)
{
    (void)t;
    (void)N;
    return i;
}

static size_t by_halves(size_t t, size_t i, size_t N) { return (i + (t % 2 ? N / 2 : 0)) % N; }

static void fill_layer_free(op_case *c, op_rng *r)
{
    op_fill_default(c, r);
    draw_counters(c, r, 20);
}

static void fill_layer(op_case *c, op_rng *r)
{
    fill_layer_free(c, r);
    route(c, by_pairs);
}

/* Counters so low that no pair is due. */
static void fill_layer_early(op_case *c, op_rng *r)
{
    fill_layer(c, r);
    draw_counters(c, r, 0);
}

/* With its tokens a pair is a little below the frequency, just at it, or a little above. */
static void fill_layer_edge(op_case *c, op_rng *r)
{
    const size_t pairs = pairs_of(op_dim(c, 'N'));
    fill_layer(c, r);
    for (size_t e = 0; e < pairs; e++)
        *counter_of(c, e) = op_real(c, "frequency") - (double)(op_dim(c, 'T') / pairs) + (double)(e % 3) - 1;
}

/* Every pair is due, whatever the tokens. */
static void every_pair_due(op_case *c)
{
    for (size_t e = 0; e < pairs_of(op_dim(c, 'N')); e++) *counter_of(c, e) = 24;
}

static void fill_layer_due(op_case *c, op_rng *r)
{
    fill_layer(c, r);
    every_pair_due(c);
}

/* All tokens want the same experts in the same order: the pair (0, 1) shares every token. */
static void fill_layer_alike(op_case *c, op_rng *r)
{
    fill_layer(c, r);
    route(c, all_alike);
}

/* The same, and every pair is due. */
static void fill_layer_absent(op_case *c, op_rng *r)
{
    fill_layer_alike(c, r);
    every_pair_due(c);
}

/* Copies of an expert, all pairs due. */
static void fill_layer_copies(op_case *c, op_rng *r)
{
    fill_layer_due(c, r);
    copy_experts(c);
}

/* Cotangents of y and weight 0, and these numbers on the losses. */
static void losses_only(op_case *c, double loss, double task, double balance, double similarity)
{
    zeros(op_dim(c, 'T') * op_dim(c, 'd'), op_cot(c, "y"));
    zeros(op_dim(c, 'T') * op_dim(c, 'K'), op_cot(c, "weight"));
    *op_cot(c, "loss") = loss;
    if (is_step(c)) *op_cot(c, "task") = task;
    *op_cot(c, "balance") = balance;
    *op_cot(c, "similarity") = similarity;
}

/* The experts of fill_loss_halves() on the coordinates behind the logits; all pairs due. */
static void fill_layer_halves(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd'), N = op_dim(c, 'N'), pairs = pairs_of(N);
    for (size_t i = 0; c->op->in[i].name; i++)
        if (c->in[i].f64) zeros(c->in[i].count, c->in[i].f64);
    (void)r;
    route(c, by_pairs);
    every_pair_due(c);
    passing_experts(c, N);
    for (size_t t = 0; t < T; t++)
        for (size_t k = N; k < d; k++) op_in(c, "x")[t * d + k] = hadamard(t / pairs, k - N);
}

static void fill_total(op_case *c, op_rng *r)
{
    fill_layer_due(c, r);
    losses_only(c, 1, 0, 0, 0);
}

static void fill_total_halves(op_case *c, op_rng *r)
{
    fill_layer_halves(c, r);
    losses_only(c, 1, 0, 0, 0);
}

static void fill_similarity(op_case *c, op_rng *r)
{
    fill_layer_due(c, r);
    losses_only(c, 0, 0, 0, 1);
}

static void fill_similarity_halves(op_case *c, op_rng *r)
{
    fill_layer_halves(c, r);
    losses_only(c, 0, 0, 0, 1);
}

static void fill_balance(op_case *c, op_rng *r)
{
    fill_layer(c, r);
    route(c, all_alike);
    losses_only(c, 0, 0, 1, 0);
}

static void fill_opposite(op_case *c, op_rng *r)
{
    fill_layer(c, r);
    route(c, by_halves);
    losses_only(c, 0, 0, 1, 0);
}

static void fill_task(op_case *c, op_rng *r)
{
    fill_layer(c, r);
    losses_only(c, 0, 1, 0, 0);
}

/* Experts that answer 2^i or -2^i by turns, whatever the token; a cotangent on y alone. */
static void fill_signature(op_case *c, op_rng *r)
{
    const size_t N = op_dim(c, 'N'), d = op_dim(c, 'd'), h = op_dim(c, 'h');
    fill_layer_early(c, r);
    zeros(N * d * h, op_in(c, "w2"));
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < d; k++) op_in(c, "b2")[i * d + k] = (i % 2 ? -1 : 1) * (double)(1u << i);
    losses_only(c, 0, 0, 0, 0);
    for (size_t k = 0; k < op_dim(c, 'T') * d; k++) op_cot(c, "y")[k] = 1;
}

/* Biases as large as what they are added to, and pre-activations near 0, where GELU is not ReLU. */
static void fill_layer_biased(op_case *c, op_rng *r)
{
    fill_layer_due(c, r);
    const size_t N = op_dim(c, 'N'), d = op_dim(c, 'd'), h = op_dim(c, 'h');
    for (size_t k = 0; k < N * h * d; k++) op_in(c, "w1")[k] = op_representable(op_in(c, "w1")[k] / 2);
    for (size_t k = 0; k < N * d; k++) op_in(c, "b2")[k] = op_representable(2 + op_uniform(r));
}

#define OFTEN             "frequency=16,threshold=0.125"
#define WHOLE             "c_balance=1,c_similarity=1"
#define LAYER             "T=48,d=6,N=4,h=8,g=8,p=4"
#define LAYER_LINEAR      "T=48,d=6,N=4,h=8,g=6,p=4"
#define LAYER_OF_3        "T=24,d=6,N=3,h=8,g=8,p=4"
#define LAYER_OF_3_LINEAR "T=24,d=6,N=3,h=8,g=6,p=4"
#define LAYER_HALVES      "T=48,d=8,N=4,h=8,g=8,p=4"
#define LAYER_HALVES_OF_3 "T=12,d=6,N=3,h=6,g=6,p=3"

/* What a layer and a step have in common. */
#define FIRST_LOOK "T=18,d=4,N=3,h=6,g=5,p=3"
#define FIRST_CODE "T=18,d=4,N=3,h=6,g=4,p=3"
#define AS_IN_CODE "k=2,kind=linear,kernel=rbf,unit=fraction,absent=reset"
#define MEDIAN     "k=2,kernel=rbf,bandwidth=median,"
#define HALVED     "k=2,kind=linear,frequency=16,threshold=0.25"
#define TOTAL      "c_balance=0.5,c_similarity=0.25"
#define BALANCES   "LblDoubleSoftmax,LblProbOverTK,LblTopKNorm,LblFirstChoiceOnly,LblConstant,LblGrad"
#define CORE(name, sizes, parameters, flags, why, fill)                                                                \
    {                                                                                                                  \
        name, "core", sizes, parameters, flags, why, fill                                                              \
    }
/* Of suite adversarial too, because it alone shows some known mistake. */
#define CORE_SHOWS(name, sizes, parameters, flags, why, fill)                                                          \
    {                                                                                                                  \
        name, "core,adversarial", sizes, parameters, flags, why, fill                                                  \
    }
#define CRAFTED(name, sizes, parameters, flags, why, fill)                                                             \
    {                                                                                                                  \
        name, "adversarial", sizes, parameters, flags, why, fill                                                       \
    }
#define BOTH_SMOKE                                                                                                     \
    {"small", "smoke", FIRST_LOOK, "k=2,frequency=4,threshold=0.125", "", "a first look", fill_layer},                 \
    {                                                                                                                  \
        "small-code", "smoke", FIRST_CODE, AS_IN_CODE ",frequency=4", "", "a first look at SimSMoE's code", fill_layer \
    }
#define BOTH_CORE                                                                                                      \
    CORE("random", LAYER, "k=2," OFTEN, "", "random routing", fill_layer_free),                                        \
        CORE("defaults", LAYER, "", "", "all parameters as they are", fill_layer),                                     \
        CORE_SHOWS("code", LAYER_LINEAR, AS_IN_CODE, "",                                                               \
                   "SimSMoE's code: a linear head, an RBF of sigma 0.8, fractions, the reset", fill_layer),            \
        CORE("early", LAYER, "k=2," OFTEN, "UnselectedPairs", "no pair is due: the similarity is 0",                   \
             fill_layer_early),                                                                                        \
        CORE("due", LAYER_OF_3, "k=2," WHOLE "," OFTEN, "", "every pair is due", fill_layer_due),                      \
        CORE("before", LAYER_OF_3, "k=2,order=softmax-topk," OFTEN, "NormTopK", "softmax before the selection",        \
             fill_layer),                                                                                              \
        CORE("renorm", LAYER_OF_3, "k=2,order=softmax-topk-renorm," OFTEN, "NormTopK", "the same, renormalised",       \
             fill_layer),                                                                                              \
        CORE_SHOWS("gelu", LAYER_OF_3, "k=2,activation=gelu," OFTEN, "ReluHardCoded", "GELU experts", fill_layer_due), \
        CORE("atleast", LAYER_OF_3, "k=2,due=atleast,compare=atleast,absent=reset," OFTEN, "", "at least, twice",      \
             fill_layer),                                                                                              \
        CORE("fraction", LAYER_OF_3, "k=2,unit=fraction,due=atleast," OFTEN, "PairsUnit", "fractions", fill_layer),    \
        CORE("mean", LAYER_OF_3, "k=2,reduce=mean," OFTEN, "PairsReduce", "the mean over the pairs", fill_layer),      \
        CORE("unbiased", LAYER_OF_3, "k=2,estimator=unbiased,frequency=16,threshold=-2", "BiasedSmallN", "HSIC_1",     \
             fill_layer_due),                                                                                          \
        CORE_SHOWS("debiased", LAYER_OF_3, "k=2,estimator=debiased,frequency=10,threshold=-2", "",                     \
                   "HSIC_1 by U-centring, pairs due earlier", fill_layer),                                             \
        CORE("median", LAYER, MEDIAN OFTEN, "RbfAbsoluteSigma", "sigma is a fraction of the median distance",          \
             fill_layer_due),                                                                                          \
        CORE_SHOWS("median-rules", LAYER_OF_3,                                                                         \
                   MEDIAN "sigma=0.5,diagonal=without,middle=lower,median=square,detach=no," OFTEN, "",                \
                   "half the median by the other rules, and trained", fill_layer_due),                                 \
        CORE_SHOWS("attached", LAYER_OF_3, "k=2,detach_x=no," OFTEN, "XDetached", "the tokens get a gradient too",     \
                   fill_layer_due),                                                                                    \
        CORE("top-1", LAYER, "k=1," OFTEN, "TopOneZeroGrad", "no pair shares a token", fill_layer),                    \
        CORE("top-3", LAYER, "k=3," OFTEN, "PairsOnlyK2", "three pairs a token", fill_layer_due),                      \
        CORE_SHOWS("all-chosen", "T=8,d=6,N=3,h=8,g=8,p=4", "k=3," OFTEN, "PairsOnlyK2", "K = N", fill_layer_due),     \
        CORE("one-expert", "T=4,d=4,N=1,h=6,g=5,p=3", "k=1," OFTEN, "", "N = 1: a feed-forward layer", fill_layer)
#define BOTH_CRAFTED                                                                                                   \
    CRAFTED("copies", LAYER, "k=2,frequency=16," WHOLE, "CollapseStationary",                                          \
            "experts are copies: each CKA is 1, and its gradient 0", fill_layer_copies),                               \
        CRAFTED("alike", LAYER, "k=2," OFTEN, "ZeroTokenExpert", "one pair shares every token", fill_layer_alike),     \
        CRAFTED("halves", LAYER_HALVES, HALVED "," WHOLE, "ThresholdMissing,MisalignedExperts,HeadNone",               \
                "a CKA of exactly 0, 1/2 or 1 for each pair", fill_layer_halves),                                      \
        CRAFTED("biased", LAYER, "k=2,activation=gelu," OFTEN, "MissingBias,ReluHardCoded",                            \
                "biases as large as what they are added to", fill_layer_biased),                                       \
        CRAFTED("signature", LAYER, "k=2," OFTEN, "SwappedWeights,CombineGradNone,MisalignedExperts",                  \
                "expert i answers 2^i or minus that; cotangent on y alone", fill_signature),                           \
        CRAFTED("signature-before", LAYER, "k=2,order=softmax-topk," OFTEN, "CombineGradNone,NormTopK",                \
                "the same, softmax first", fill_signature),                                                            \
        CRAFTED("total", LAYER, "k=2," TOTAL "," OFTEN, "BetaTied,MissingCoefficient",                                 \
                "as in training: the total alone (SimSMoE's code ties beta to the balance's coefficient)",             \
                fill_total),                                                                                           \
        CRAFTED("total-halves", LAYER_HALVES, HALVED "," TOTAL, "BetaTied,MissingCoefficient,GradScale",               \
                "the same on numbers that all formats hold", fill_total_halves),                                       \
        CRAFTED("similarity", LAYER, "k=2," OFTEN, "XNotDetached,RouterGradient",                                      \
                "the similarity alone: the gradients of router and tokens are exactly 0", fill_similarity),            \
        CRAFTED("similarity-halves", LAYER_HALVES, HALVED, "XNotDetached,RouterGradient,HeadDetached",                 \
                "the same on numbers that all formats hold", fill_similarity_halves),                                  \
        CRAFTED("balance", LAYER, "k=2," OFTEN, BALANCES, "all tokens want the same experts; balance alone",           \
                fill_balance),                                                                                         \
        CRAFTED("opposite", LAYER, "k=2," OFTEN, "LblPerSequence", "two halves collapsed on opposite experts",         \
                fill_opposite),                                                                                        \
        CRAFTED("absent", LAYER, "k=2,absent=reset," OFTEN, "PairsAbsent",                                             \
                "every pair is due and one alone has tokens: the others are reset too, as in SimSMoE's code",          \
                fill_layer_absent),                                                                                    \
        CRAFTED("edge", LAYER_OF_3, "k=2,frequency=16,threshold=-1", "PairsEdge,PairsBeforeBatch,UnselectedPairs",     \
                "a pair below the frequency, one at it, one above", fill_layer_edge),                                  \
        CRAFTED("halves-rbf", LAYER_HALVES_OF_3, HALVED ",kernel=rbf", "KernelLinear,RbfFractionSigma",                \
                "an RBF far narrower than the distances", fill_layer_halves),                                          \
        CRAFTED("halves-median", LAYER_HALVES_OF_3, HALVED ",kernel=rbf,bandwidth=median",                             \
                "KernelLinear,RbfAbsoluteSigma", "an RBF as wide as the distances", fill_layer_halves)

static const op_spec layer_cases[] = {
    BOTH_SMOKE,
    BOTH_CORE,
    BOTH_CRAFTED,
    {"large", "large", "T=128,d=32,N=8,h=64,g=32,p=16", "k=2," OFTEN, "", "a layer of some size", fill_layer},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

static const op_spec step_cases[] = {
    BOTH_SMOKE,
    BOTH_CORE,
    BOTH_CRAFTED,
    {"no-task", "core", LAYER, "k=2,c_task=0," WHOLE "," OFTEN, "", "the regularisers alone", fill_layer_due},
    {"task", "adversarial", LAYER, "k=2," OFTEN, "TaskSum,TaskOverTokens,TaskDetached",
     "the task alone: it reaches router and experts, not the head", fill_task},
    {"large", "large", "T=128,d=32,N=8,h=64,g=32,p=16", "k=2," OFTEN, "", "a step of some size", fill_layer},
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
     "ref/simsmoe.c: smoe_shared_tokens, smoe_pair_counters", pairs_in, pairs_out, pairs_param, pairs_cases,
     pairs_check, pairs_forward, NULL},
    {"simsmoe.loss", "Similarity loss of pairs of experts", "S.1 S.2 S.4 S.5",
     "loss = sum of CKA(z_i, z_j) over selected pairs whose CKA exceeds T*;  z_i = head(E_i(X)), X the tokens that i "
     "and j "
     "share",
     "SimSMoE (arXiv 2406.15883) as notes on it have it; its code (read and run)",
     "ref/simsmoe.c: smoe_similarity_loss, smoe_similarity_loss_vjp", loss_in, loss_out, loss_param, loss_cases,
     loss_check, loss_forward, loss_vjp},
    {"simsmoe.layer", "SimSMoE layer", "S.1 S.2 S.3 S.4 S.5 S.6",
     "y = sum_j weight_j E_{I_j}(x);  loss = c_balance balance(r) + c_similarity similarity of the pairs that are due",
     "SimSMoE (arXiv 2406.15883): terms by notes on the paper; what is counted, compared and detached by its code",
     "ref/simsmoe.c: smoe_simsmoe_layer, smoe_simsmoe_layer_vjp, smoe_router, smoe_router_vjp", layer_in, layer_out,
     layer_param, layer_cases, layer_check, layer_forward, layer_vjp},
    {"simsmoe.step", "One training step of SimSMoE", "S.1 S.2 S.3 S.4 S.5 S.6 S.7 C.14",
     "loss = c_task task + c_balance balance(r) + c_similarity similarity;  task = mean (y - target)^2",
     "SimSMoE: total = task + alpha balancing + beta similarity by notes on the paper; in its code beta is alpha rho; "
     "the "
     "task is ours",
     "ref/simsmoe.c: smoe_simsmoe_step, smoe_simsmoe_step_vjp", step_in, step_out, step_param, step_cases, layer_check,
     layer_forward, layer_vjp},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
