/* Operations of chapter C: spec/05-compete.md. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "compete.h"
#include "op.h"
#include "op_compete.h"

/* n zeroed elements; never NULL. */
const char *compete_check_winners(const op_case *c)
{
    const long N = (long)op_dim(c, 'N'), k = op_int(c, "k");
    if (N < 1) return "N must be at least 1: there is no expert";
    return k < 1 || k > N ? "k must be at least 1 and at most N" : NULL;
}

static void zero_cot(op_case *c, const char *output, size_t n)
{
    for (size_t k = 0; k < n; k++) op_cot(c, output)[k] = 0;
}

/* Outputs o [T,N,d] whose experts stand apart: the elements of row (t, i) are a level, at least gap from those of the
 * token's other experts, plus noise that cancels in pairs of elements, so that experts differ in direction too. */
static void fill_outputs_apart(op_rng *r, double gap, double shift, size_t T, size_t N, size_t d, double *o)
{
    double *level = op_room(T * N, sizeof *level);
    op_fill_apart(r, gap, T, N, level);
    for (size_t a = 0; a < T * N; a++)
        for (size_t e = 0; e < d; e += 2) {
            const double noise = 0.125 * ((double)op_below(r, 9) - 4);
            o[a * d + e] = op_representable(level[a] + shift + noise);
            if (e + 1 < d) o[a * d + e + 1] = op_representable(level[a] + shift - noise);
        }
    free(level);
}

/* --- compete.response --------------------------------------------------------------------------------------------- */

static const op_tensor response_in[] = {
    {"o", "T,N,d", OP_INPUT, OP_DIFF, "outputs of all experts"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor response_out[] = {
    {"s", "T,N", OP_BOUNDED, OP_DIFF, "responses of the experts"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param response_param[] = {
    {"kind", OP_CHOICE, "softplus|norm|relu|sigmoid|silu", "the mean of this function of o, or the L2 norm of o"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *response_check(const op_case *c)
{
    if (op_dim(c, 'N') < 1) return "N must be at least 1: there is no expert";
    return op_dim(c, 'd') < 1 ? "d must be at least 1: a response is a mean over the width" : NULL;
}

static smoe_status response_forward(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), d = op_dim(c, 'd');
    smoe_status (*response)(size_t, size_t, const double *, double *) =
        op_is(c, "kind", "softplus")  ? smoe_response_softplus
        : op_is(c, "kind", "norm")    ? smoe_response_norm
        : op_is(c, "kind", "relu")    ? smoe_response_relu
        : op_is(c, "kind", "sigmoid") ? smoe_response_sigmoid
                                      : smoe_response_silu;
    smoe_status status = SMOE_OK;
    for (size_t t = 0; t < T && status == SMOE_OK; t++)
        status = response(N, d, op_in(c, "o") + t * N * d, op_out(c, "s") + t * N);
    return status;
}

static smoe_status response_vjp(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), d = op_dim(c, 'd');
    smoe_status (*vjp)(size_t, size_t, const double *, const double *, double *) =
        op_is(c, "kind", "softplus")  ? smoe_response_softplus_vjp
        : op_is(c, "kind", "relu")    ? smoe_response_relu_vjp
        : op_is(c, "kind", "sigmoid") ? smoe_response_sigmoid_vjp
                                      : smoe_response_silu_vjp;
    const bool norm = op_is(c, "kind", "norm");
    smoe_status status = SMOE_OK;
    for (size_t t = 0; t < T && status == SMOE_OK; t++) {
        const double *o = op_in(c, "o") + t * N * d, *s = op_out(c, "s") + t * N, *ds = op_cot(c, "s") + t * N;
        double *do_ = op_grad(c, "o") + t * N * d;
        status = norm ? smoe_response_norm_vjp(N, d, o, s, ds, do_) : vjp(N, d, o, ds, do_);
    }
    return status;
}

/* Outputs between 20 and 30: e^-o is what softplus adds to o, and what a threshold leaves out. */
static void fill_above_20(op_case *c, op_rng *r)
{
    for (size_t k = 0; k < c->in[0].count; k++) op_in(c, "o")[k] = 20.5 + 0.5 * (double)op_below(r, 20);
}

/* Outputs between -40 and -20: ln(1 + e^o) by its formula loses every digit. */
static void fill_below(op_case *c, op_rng *r)
{
    for (size_t k = 0; k < c->in[0].count; k++) op_in(c, "o")[k] = -20.5 - (double)op_below(r, 20);
}

/* Expert i's outputs are all of one sign, alternating: large negative ones respond by norm and not by softplus. */
static void fill_signs(op_case *c, op_rng *r)
{
    const size_t N = op_dim(c, 'N'), d = op_dim(c, 'd');
    for (size_t k = 0; k < c->in[0].count; k++) {
        const double size = 2 + 0.25 * (double)op_below(r, 8);
        op_in(c, "o")[k] = k / d % N % 2 ? -2 * size : size;
    }
}

/* A zero output in every token; zeros elsewhere too. */
static void fill_zero_rows(op_case *c, op_rng *r)
{
    const size_t N = op_dim(c, 'N'), d = op_dim(c, 'd');
    op_fill_default(c, r);
    for (size_t k = 0; k < c->in[0].count; k++)
        if (k / d % N == 0 || op_below(r, 4) == 0) op_in(c, "o")[k] = 0;
}

static const op_spec response_cases[] = {
    {"small", "smoke", "T=3,N=4,d=4", "", "", "a first look", NULL},
    {"softplus", "core", "T=6,N=5,d=8", "", "", "the response of version 2", NULL},
    {"norm", "core", "T=6,N=5,d=8", "kind=norm", "", "the response of version 1", NULL},
    {"relu", "core", "T=6,N=5,d=8", "kind=relu", "", "an ablation of version 2's code", NULL},
    {"sigmoid", "core", "T=6,N=5,d=8", "kind=sigmoid", "", "an ablation of version 2's code", NULL},
    {"silu", "core", "T=6,N=5,d=8", "kind=silu", "", "an ablation of version 2's code", NULL},
    {"one-wide", "core", "T=4,N=3,d=1", "", "", "d = 1: the function itself", NULL},
    {"no-token", "core", "T=0,N=3,d=2", "", "", "T = 0 is legal where nothing is averaged over tokens", NULL},
    {"above-20", "adversarial", "T=4,N=4,d=4", "", "SoftplusThreshold",
     "PyTorch's softplus is the identity above 20: wrong by e^-20, seen in f64 only", fill_above_20},
    {"far-below", "adversarial", "T=4,N=4,d=4", "", "SoftplusCancellation", "log(1 + exp(o)) without log1p is 0 here",
     fill_below},
    {"signs", "adversarial", "T=4,N=4,d=4", "", "ResponseNorm", "softplus is not symmetric: a norm for it is wrong",
     fill_signs},
    {"signs-norm", "adversarial", "T=4,N=4,d=4", "kind=norm", "ResponseSoftplus", "the other way about", fill_signs},
    {"zero-rows", "adversarial", "T=4,N=4,d=3", "kind=norm", "ZeroNorm", "the norm's gradient at 0 is 0, not NaN",
     fill_zero_rows},
    {"zero-relu", "adversarial", "T=4,N=4,d=3", "kind=relu", "", "ReLU's derivative at 0 is 0", fill_zero_rows},
    {"large", "large", "T=64,N=8,d=64", "", "", "the size of the layers' large cases", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- compete.route ------------------------------------------------------------------------------------------------ */

static const op_tensor route_in[] = {
    {"o", "T,N,d", OP_INPUT, OP_DIFF, "outputs of all experts"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor route_out[] = {
    {"y", "T,d", OP_BOUNDED, OP_DIFF, "the winners' outputs, weighed"},
    {"s", "T,N", OP_BOUNDED, OP_DIFF, "responses of all experts"},
    {"index", "T,K", OP_DECISION, OP_I64, "the winners, strongest response first"},
    {"weight", "T,K", OP_BOUNDED, OP_DIFF, "their weights, in the order of index"},
    {"margin", "T", OP_STAGE, OP_MARGIN, "K-th less (K+1)-th response, +inf if K = N"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param route_param[] = {
    {"k", OP_INT, "2", "winners of a token"},
    {"version", OP_CHOICE, "2|1", "2: mean softplus, s / sum of s; 1: L2 norm, softmax of the winners' s"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *route_check(const op_case *c)
{
    const char *wrong = compete_check_winners(c);
    if (wrong) return wrong;
    return op_dim(c, 'd') < 1 ? "d must be at least 1: a response is a mean over the width" : NULL;
}

static smoe_status route_forward(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K'), d = op_dim(c, 'd');
    size_t *index = op_room(T * K, sizeof *index);
    double *value = op_room(K, sizeof *value);
    smoe_status status = (op_is(c, "version", "2") ? smoe_route : smoe_route_v1)(
        T, N, K, d, op_in(c, "o"), op_out(c, "s"), index, op_out(c, "weight"), op_out(c, "margin"), op_out(c, "y"),
        value);
    op_write_index(c, "index", T * K, index);
    free(index);
    free(value);
    return status;
}

static smoe_status route_vjp(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K'), d = op_dim(c, 'd');
    size_t *index = op_read_index(c, "index", T * K);
    double *work = op_room(N * d + N + 3 * K, sizeof *work);
    smoe_status status = (op_is(c, "version", "2") ? smoe_route_vjp : smoe_route_v1_vjp)(
        T, N, K, d, op_in(c, "o"), op_out(c, "s"), index, op_out(c, "weight"), op_cot(c, "y"), op_cot(c, "weight"),
        op_cot(c, "s"), op_grad(c, "o"), work);
    free(index);
    free(work);
    return status;
}

/* Only y has a cotangent: the way y -> weight -> s -> o must be seen in the gradient. */
static void output_only(op_case *c)
{
    zero_cot(c, "s", op_dim(c, 'T') * op_dim(c, 'N'));
    zero_cot(c, "weight", op_dim(c, 'T') * op_dim(c, 'K'));
}

static void fill_route_apart(op_case *c, op_rng *r)
{
    fill_outputs_apart(r, 0.5, 1, op_dim(c, 'T'), op_dim(c, 'N'), op_dim(c, 'd'), op_in(c, "o"));
}

static void fill_route_output_only(op_case *c, op_rng *r)
{
    fill_route_apart(c, r);
    output_only(c);
}

/* Expert t mod N is far stronger than the next: weights 3/4, 1/4 by s / sum of s, and 0.88, 0.12 by softmax. */
static void fill_route_contrast(op_case *c, op_rng *r)
{
    const size_t N = op_dim(c, 'N'), d = op_dim(c, 'd');
    for (size_t k = 0; k < c->in[0].count; k++) {
        const size_t i = k / d % N, t = k / (d * N), rank = (i + N - t % N) % N;
        const double noise = 0.25 * ((double)op_below(r, 5) - 2);
        op_in(c, "o")[k] = (rank == 0 ? 3 : rank == 1 ? 0.5 : -3) + noise;
    }
    output_only(c);
}

static void fill_copies(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), d = op_dim(c, 'd');
    for (size_t t = 0; t < T; t++)
        for (size_t e = 0; e < d; e++) {
            const double v = op_representable(op_normal(r));
            for (size_t i = 0; i < N; i++) op_in(c, "o")[(t * N + i) * d + e] = v;
        }
}

/* Expert N-1 answers loudly and negatively: by norm it always wins, by softplus never. */
static void fill_loud_no(op_case *c, op_rng *r)
{
    const size_t N = op_dim(c, 'N'), d = op_dim(c, 'd');
    fill_route_apart(c, r);
    for (size_t k = 0; k < c->in[0].count; k++)
        if (k / d % N == N - 1) op_in(c, "o")[k] = -12 - 0.5 * (double)op_below(r, 4);
}

static const op_spec route_cases[] = {
    {"small", "smoke", "T=3,N=4,d=4", "k=2", "", "a first look", fill_route_apart},
    {"random", "core", "T=8,N=6,d=8", "k=2", "", "standard normal outputs: small margins", NULL},
    {"apart", "core", "T=8,N=6,d=6", "k=3", "", "decisions that no precision doubts", fill_route_apart},
    {"version-1", "core", "T=8,N=6,d=6", "k=2,version=1", "", "norms and softmax", fill_route_apart},
    {"version-1-random", "core", "T=8,N=6,d=8", "k=2,version=1", "", "standard normal outputs", NULL},
    {"top-1", "core", "T=6,N=4,d=4", "k=1", "", "one winner: weight 1, no gradient through it", fill_route_apart},
    {"all-win", "core", "T=5,N=3,d=4", "k=3", "", "K = N: margin +inf", fill_route_apart},
    {"one-expert", "core", "T=4,N=1,d=4", "k=1", "", "N = 1: y = o", NULL},
    {"no-token", "core", "T=0,N=3,d=2", "k=2", "", "T = 0 is legal where nothing is averaged over tokens", NULL},
    {"output-only", "adversarial", "T=6,N=4,d=4", "k=2", "CombineGradNone",
     "cotangent on y alone: the gradient through the weights is not covered by anything", fill_route_output_only},
    {"output-only-v1", "adversarial", "T=6,N=4,d=4", "k=2,version=1", "CombineGradNone", "the same for version 1",
     fill_route_output_only},
    {"contrast", "adversarial", "T=8,N=4,d=4", "k=2", "WeightsSoftmaxScores,ResponseNorm,MisalignedExperts",
     "s / sum of s gives 3/4 where softmax gives 0.88; an output credited to another expert changes the winner",
     fill_route_contrast},
    {"contrast-v1", "adversarial", "T=8,N=4,d=4", "k=2,version=1", "CompeteNormalisedWeights",
     "and the other way about: softmax of the norms is meant", fill_route_contrast},
    {"copies", "adversarial", "T=4,N=4,d=4", "k=2", "ties,TieOrder",
     "experts are copies of one (sparse upcycling): all tie, 0 and 1 win, weights 1/2", fill_copies},
    {"loud-no", "adversarial", "T=6,N=4,d=4", "k=2", "ResponseNorm", "a large negative output loses the competition",
     fill_loud_no},
    {"loud-no-v1", "adversarial", "T=6,N=4,d=4", "k=2,version=1", "ResponseSoftplus", "and wins it in version 1",
     fill_loud_no},
    {"above-20", "adversarial", "T=4,N=4,d=4", "k=2", "SoftplusThreshold", "outputs where PyTorch's softplus gives up",
     fill_above_20},
    {"large", "large", "T=64,N=8,d=64", "k=2", "", "the size of the layers' large cases", fill_route_apart},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- compete.distill ---------------------------------------------------------------------------------------------- */

static const op_tensor distill_in[] = {
    {"r", "T,N", OP_INPUT, OP_DIFF, "router logits"},
    {"s", "T,N", OP_INPUT, OP_DIFF, "responses; the target is softmax(s)"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor distill_out[] = {
    {"loss", "", OP_BOUNDED, OP_DIFF, "mean squared error of softmax(r), plus theta times that of the winners alone"},
    {"index", "T,K", OP_DECISION, OP_I64 | OP_OPTIONAL, "the winners: TopK(s)"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param distill_param[] = {
    {"k", OP_INT, "2", "winners of a token"},
    {"version", OP_CHOICE, "2|1", "the target: 2: softmax over all N responses; 1: over the winners', 0 elsewhere"},
    {"theta", OP_REAL, "0.125", "weight of the winners' term; version 1 has none"},
    {"detach", OP_CHOICE, "yes|no", "is the target a constant?"},
    {"loss", OP_CHOICE, "mse|kl|kl-clamped", "distance; version 1 alone has kl: q ln(q/p), and p ln(p/max(q, 1e-6))"},
    {"terms", OP_CHOICE, "both|all|winners", "of version 2: the mean over all experts, the winners', or both"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *distill_check(const op_case *c)
{
    if (op_dim(c, 'T') < 1) return "T must be at least 1: a mean over no tokens is not defined";
    if (op_is(c, "version", "2") && !op_is(c, "loss", "mse"))
        return "version 2 has loss=mse alone: its target is not known with another distance";
    return compete_check_winners(c);
}

smoe_status compete_winners(const op_case *c, const double *s, size_t *index)
{
    return op_choose(op_dim(c, 'T'), op_dim(c, 'N'), op_dim(c, 'K'), s, index);
}

/* theta as version 2's first functions take it: terms=all is the first term alone. */
static double distill_theta(const op_case *c) { return op_is(c, "terms", "all") ? 0 : op_real(c, "theta"); }

/* p, q [T,N] and the loss; work [4 N]. */
static smoe_status distill_run(const op_case *c, const size_t *index, double *p, double *q, double *loss, double *work)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K');
    const double *r = op_in(c, "r"), *s = op_in(c, "s");
    if (op_is(c, "version", "1"))
        return (op_is(c, "loss", "mse")  ? smoe_distill_v1
                : op_is(c, "loss", "kl") ? smoe_distill_kl
                                         : smoe_distill_kl_clamped)(T, N, K, r, s, index, p, q, loss, work);
    smoe_status status = smoe_distill(T, N, K, distill_theta(c), r, s, index, p, q, loss);
    if (status == SMOE_OK && op_is(c, "terms", "winners"))
        status = smoe_distill_winners_loss(T, N, K, distill_theta(c), p, q, index, loss);
    return status;
}

static smoe_status distill_forward(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K');
    size_t *index = op_room(T * K, sizeof *index);
    double *p = op_room(2 * T * N + 4 * N, sizeof *p);
    smoe_status status = compete_winners(c, op_in(c, "s"), index);
    if (status == SMOE_OK) status = distill_run(c, index, p, p + T * N, op_out(c, "loss"), p + 2 * T * N);
    op_write_index(c, "index", T * K, index);
    free(index);
    free(p);
    return status;
}

static smoe_status distill_router_vjp(const op_case *c, const size_t *index, const double *p, const double *q,
                                      double *work)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K');
    const double dloss = *op_cot(c, "loss");
    double *dr = op_grad(c, "r");
    if (op_is(c, "version", "2"))
        return (op_is(c, "terms", "winners") ? smoe_distill_winners_vjp : smoe_distill_vjp)(
            T, N, K, distill_theta(c), p, q, index, dloss, dr, work);
    return op_is(c, "loss", "mse")  ? smoe_distill_v1_vjp(T, N, p, q, dloss, dr, work)
           : op_is(c, "loss", "kl") ? smoe_distill_kl_vjp(T, N, p, q, dloss, dr)
                                    : smoe_distill_kl_clamped_vjp(T, N, op_in(c, "r"), p, q, dloss, dr, work);
}

static smoe_status distill_target_vjp(const op_case *c, const size_t *index, const double *p, const double *q,
                                      double *work)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K');
    const double dloss = *op_cot(c, "loss"), *r = op_in(c, "r"), *s = op_in(c, "s");
    double *ds = op_grad(c, "s");
    if (op_is(c, "version", "2"))
        return (op_is(c, "terms", "winners") ? smoe_distill_winners_target_vjp : smoe_distill_target_vjp)(
            T, N, K, distill_theta(c), p, q, index, dloss, ds, work);
    return op_is(c, "loss", "mse")  ? smoe_distill_v1_target_vjp(T, N, K, p, q, index, dloss, ds, work)
           : op_is(c, "loss", "kl") ? smoe_distill_kl_target_vjp(T, N, K, r, s, q, index, dloss, ds, work)
                                    : smoe_distill_kl_clamped_target_vjp(T, N, K, p, q, index, dloss, ds, work);
}

static smoe_status distill_vjp(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K');
    size_t *index = op_read_index(c, "index", T * K);
    double *p = op_room(2 * T * N + 4 * N, sizeof *p), *q = p + T * N, *work = q + T * N, loss;
    smoe_status status = distill_run(c, index, p, q, &loss, work);
    if (status == SMOE_OK) status = distill_router_vjp(c, index, p, q, work);
    for (size_t k = 0; k < T * N; k++) op_grad(c, "s")[k] = 0;
    if (status == SMOE_OK && op_is(c, "detach", "no")) status = distill_target_vjp(c, index, p, q, work);
    free(index);
    free(p);
    return status;
}

static void fill_scores(op_case *c, op_rng *r)
{
    op_fill_normal(r, 1, c->in[0].count, op_in(c, "r"));
    op_fill_apart(r, 0.5, op_dim(c, 'T'), op_dim(c, 'N'), op_in(c, "s"));
}

/* The router knows the outcome exactly: the loss and its gradient are 0. */
static void fill_perfect(op_case *c, op_rng *r)
{
    fill_scores(c, r);
    for (size_t k = 0; k < c->in[0].count; k++) op_in(c, "r")[k] = op_in(c, "s")[k];
    *op_cot(c, "loss") = 1;
}

/* The router is sure of an expert that lost: the distance, and the winners' term, are as large as they get. */
static void fill_opposed(op_case *c, op_rng *r)
{
    fill_scores(c, r);
    for (size_t k = 0; k < c->in[0].count; k++) op_in(c, "r")[k] = op_representable(-2 * op_in(c, "s")[k]);
    *op_cot(c, "loss") = 16;
}

/* Responses close to each other, as mean softplus gives them: most of the target's mass is outside the winners. */
static void fill_close(op_case *c, op_rng *r)
{
    op_fill_apart(r, 0.0625, op_dim(c, 'T'), op_dim(c, 'N'), op_in(c, "s"));
    op_fill_apart(r, 0.5, op_dim(c, 'T'), op_dim(c, 'N'), op_in(c, "r"));
    *op_cot(c, "loss") = 16;
}

static void fill_scores_equal(op_case *c, op_rng *r)
{
    op_fill_normal(r, 1, c->in[0].count, op_in(c, "r"));
    for (size_t k = 0; k < c->in[1].count; k++) op_in(c, "s")[k] = 0.6875;
}

/* The router knows version 1's outcome: r = s for the winners and far below for who lost (masked there, e^-64 here). */
static void fill_perfect_v1(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    const double K = (double)op_int(c, "k");
    op_fill_apart(r, 0.5, T, N, op_in(c, "s"));
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) {
            const double *s = op_in(c, "s") + t * N;
            double before = 0;
            for (size_t j = 0; j < N; j++) before += s[j] > s[i];
            op_in(c, "r")[t * N + i] = before < K ? s[i] : s[i] - 64;
        }
    *op_cot(c, "loss") = 16;
}

/* Winners 16 apart: the second one's target is 1e-7, below what kl-clamped allows. */
static void fill_clamped(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N');
    fill_scores(c, r);
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) op_in(c, "s")[t * N + i] = -16 * (double)((i + t) % N);
    *op_cot(c, "loss") = 16;
}

static const op_spec distill_cases[] = {
    {"small", "smoke", "T=3,N=4", "k=2", "", "a first look", fill_scores},
    {"random", "core", "T=12,N=8", "k=2", "", "standard normal logits and responses", NULL},
    {"apart", "core", "T=8,N=6", "k=3,theta=0.5", "", "decisions that no precision doubts", fill_scores},
    {"attached", "core", "T=8,N=6", "k=2,detach=no", "", "the target is trained too (version 1's code)", fill_scores},
    {"no-theta", "core", "T=8,N=6", "k=2,theta=0", "", "theta = 0: the mean squared error alone", fill_scores},
    {"top-1", "core", "T=6,N=4", "k=1,theta=1", "", "one winner", fill_scores},
    {"all-win", "core", "T=5,N=4", "k=4,theta=1,detach=no", "", "K = N: the second term is theta times the first",
     fill_scores},
    {"one-expert", "core", "T=4,N=1", "k=1", "exact", "N = 1: softmax is 1 on both sides, loss 0", NULL},
    {"perfect", "adversarial", "T=8,N=6", "k=2,theta=1", "PermutedScores,RouterMasked",
     "r = s: loss and gradient 0; scores in another order give about 0.04 (first CompeteSMoE code)", fill_perfect},
    {"perfect-attached", "adversarial", "T=8,N=6", "k=2,theta=1,detach=no", "PermutedScores,TargetMasked",
     "the same with the target trained", fill_perfect},
    {"opposed", "adversarial", "T=8,N=8", "k=4,theta=1",
     "DistillWinnersSum,DistillNoTheta,TargetNotDetached,TargetMasked",
     "a router sure of the losers: sum for mean over the winners gives four times their term", fill_opposed},
    {"opposed-attached", "adversarial", "T=8,N=8", "k=4,theta=1,detach=no",
     "TargetDetached,DistillWinnersSum,DistillNoWinners", "the gradient of s is owed here", fill_opposed},
    {"close", "adversarial", "T=8,N=8", "k=2,theta=0", "TargetMasked,TargetNotDetached",
     "near-uniform target: masked to the winners it has all its mass on two experts", fill_close},
    {"equal", "adversarial", "T=5,N=4", "k=2", "ties,TieOrder",
     "all responses equal: the target is uniform, 0 and 1 win", fill_scores_equal},
    {"all-term", "core,adversarial", "T=8,N=6", "k=2,terms=all,theta=1", "DistillNoTheta,DistillBoth",
     "the first term alone: no theta", fill_scores},
    {"winners-term", "core", "T=8,N=6", "k=2,terms=winners,theta=0.5,detach=no", "DistillWinnersSum",
     "the second term alone, by theta", fill_scores},
    {"v1", "smoke", "T=3,N=4", "k=2,version=1", "", "a first look at version 1", fill_scores},
    {"v1-random", "core", "T=12,N=8", "k=2,version=1", "", "standard normal logits and responses", NULL},
    {"v1-apart", "core", "T=8,N=6", "k=3,version=1,theta=2", "", "three winners; theta has no part in version 1",
     fill_scores},
    {"v1-attached", "core", "T=8,N=6", "k=2,version=1,detach=no", "", "as the first code has it: experts are trained",
     fill_scores},
    {"v1-kl", "core", "T=8,N=6", "k=2,version=1,loss=kl", "", "divergence from the masked target", fill_scores},
    {"v1-kl-attached", "core", "T=8,N=6", "k=3,version=1,loss=kl,detach=no", "", "with the target trained",
     fill_scores},
    {"v1-kl-clamped", "core", "T=8,N=6", "k=2,version=1,loss=kl-clamped", "", "the first code's option", fill_scores},
    {"v1-kl-clamped-attached", "core", "T=8,N=6", "k=3,version=1,loss=kl-clamped,detach=no", "",
     "with the target trained", fill_scores},
    {"v1-top-1", "core", "T=6,N=4", "k=1,version=1,detach=no", "TopOneZeroGrad",
     "K = 1: the target is 1 on the winner, and constant", fill_scores},
    {"v1-all-win", "core", "T=5,N=4", "k=4,version=1,detach=no", "", "K = N: nobody is masked", fill_scores},
    {"v1-perfect", "adversarial", "T=8,N=6", "k=2,version=1", "PermutedScores,TargetFull",
     "the logits are the logarithm of the target: 0; scores in another order give about 0.04 (first CompeteSMoE code)",
     fill_perfect_v1},
    {"v1-opposed", "adversarial", "T=8,N=8", "k=4,version=1", "TargetFull,TargetNotDetached,PermutedScores",
     "a router sure of the losers", fill_opposed},
    {"v1-opposed-attached", "adversarial", "T=8,N=8", "k=4,version=1,detach=no", "TargetFull,TargetDetached",
     "the gradient of s is owed here", fill_opposed},
    {"v1-close", "adversarial", "T=8,N=8", "k=2,version=1", "TargetFull,DistillExpertsSum",
     "near-uniform responses: unmasked, the target has a quarter of its mass on the winners", fill_close},
    {"v1-kl-opposed", "adversarial", "T=8,N=8", "k=2,version=1,loss=kl,detach=no",
     "KlDirection,PermutedScores,MseForKl", "the two directions of the divergence are far apart", fill_opposed},
    {"v1-kl-clamped-opposed", "adversarial", "T=8,N=8", "k=2,version=1,loss=kl-clamped,detach=no",
     "KlDirection,PermutedScores,KlFloor", "losers of the target count ln 1e6 each", fill_opposed},
    {"v1-kl-below", "adversarial", "T=6,N=4", "k=2,version=1,loss=kl-clamped,detach=no", "KlClamp,DistillBatchSum",
     "a winner's target below the clamp: it has no gradient", fill_clamped},
    {"v1-equal", "adversarial", "T=5,N=4", "k=2,version=1", "ties,TieOrder",
     "all responses equal: 0 and 1 have 1/2 each", fill_scores_equal},
    {"large", "large", "T=64,N=8", "k=2", "", "the size of the layers' large cases", NULL},
    {"v1-large", "large", "T=64,N=8", "k=2,version=1", "", "the same for version 1", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- compete.diversity -------------------------------------------------------------------------------------------- */

static const op_tensor diversity_in[] = {
    {"o", "T,K,d", OP_INPUT, OP_DIFF, "outputs of the winners"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor diversity_out[] = {
    {"loss", "", OP_BOUNDED, OP_DIFF, "mean cosine of two different winners' outputs"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param diversity_param[] = {
    {"mean", OP_CHOICE, "pairs|square", "divide the sum over i != j by K (K - 1), or by K^2"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *diversity_check(const op_case *c)
{
    if (op_dim(c, 'T') < 1) return "T must be at least 1: a mean over no tokens is not defined";
    if (op_dim(c, 'K') < 1) return "K must be at least 1: there is no winner";
    return op_dim(c, 'd') < 1 ? "d must be at least 1: an output has a direction" : NULL;
}

static smoe_status diversity_run(op_case *c, double *unit, double *norm, double *loss)
{
    return (op_is(c, "mean", "pairs") ? smoe_diversity_pairs : smoe_diversity_square)(
        op_dim(c, 'T'), op_dim(c, 'K'), op_dim(c, 'd'), op_in(c, "o"), unit, norm, loss);
}

static smoe_status diversity_forward(op_case *c)
{
    double *unit = op_room(c->in[0].count, sizeof *unit), *norm = op_room(c->in[0].count, sizeof *norm);
    smoe_status status = diversity_run(c, unit, norm, op_out(c, "loss"));
    free(unit);
    free(norm);
    return status;
}

static smoe_status diversity_vjp(op_case *c)
{
    double *unit = op_room(c->in[0].count, sizeof *unit), *norm = op_room(c->in[0].count, sizeof *norm), loss;
    smoe_status status = diversity_run(c, unit, norm, &loss);
    if (status == SMOE_OK)
        status = (op_is(c, "mean", "pairs") ? smoe_diversity_pairs_vjp : smoe_diversity_square_vjp)(
            op_dim(c, 'T'), op_dim(c, 'K'), op_dim(c, 'd'), unit, norm, *op_cot(c, "loss"), op_grad(c, "o"));
    free(unit);
    free(norm);
    return status;
}

/* All winners answer alike, up to size: cosine 1, the most collapsed there is. */
static void fill_collapsed(op_case *c, op_rng *r)
{
    const size_t K = op_dim(c, 'K'), d = op_dim(c, 'd');
    for (size_t k = 0; k < c->in[0].count; k++) {
        const size_t row = k / d;
        if (row % K == 0)
            op_in(c, "o")[k] = 1 + 0.25 * (double)op_below(r, 8);
        else
            op_in(c, "o")[k] = op_in(c, "o")[k - d] * 2;
    }
    *op_cot(c, "loss") = 4;
}

/* Nearly alike, and of sizes 4, 1, 1/4, ...: the raw Gram matrix is far from the cosines. */
static void fill_sizes(op_case *c, op_rng *r)
{
    const size_t K = op_dim(c, 'K'), d = op_dim(c, 'd');
    for (size_t k = 0; k < c->in[0].count; k++) {
        const size_t i = k / d % K;
        const double size = i % 3 == 0 ? 4 : i % 3 == 1 ? 1 : 0.25;
        op_in(c, "o")[k] = size * (1.5 + 0.25 * ((double)op_below(r, 9) - 4));
    }
    *op_cot(c, "loss") = 4;
}

/* Rows e_0, e_1, ... of different lengths: every cosine 0, and the gradient is not. */
static void fill_orthogonal(op_case *c, op_rng *r)
{
    const size_t K = op_dim(c, 'K'), d = op_dim(c, 'd');
    for (size_t k = 0; k < c->in[0].count; k++)
        op_in(c, "o")[k] = k % d == k / d % K ? (double)(1 + op_below(r, 4)) : 0;
    *op_cot(c, "loss") = 1;
}

static void fill_opposite_rows(op_case *c, op_rng *r)
{
    const size_t d = op_dim(c, 'd');
    op_fill_default(c, r);
    for (size_t k = 0; k < c->in[0].count; k++)
        if (k / d % 2 == 1) op_in(c, "o")[k] = -op_in(c, "o")[k - d];
}

static void fill_one_silent(op_case *c, op_rng *r)
{
    const size_t K = op_dim(c, 'K'), d = op_dim(c, 'd');
    fill_sizes(c, r);
    for (size_t k = 0; k < c->in[0].count; k++)
        if (k / d % K == 1) op_in(c, "o")[k] = 0;
}

static const op_spec diversity_cases[] = {
    {"small", "smoke", "T=3,K=2,d=4", "", "", "a first look", NULL},
    {"random", "core", "T=8,K=2,d=8", "", "", "standard normal outputs", NULL},
    {"four", "core", "T=6,K=4,d=8", "", "", "twelve ordered pairs", NULL},
    {"square", "core", "T=6,K=4,d=8", "mean=square", "", "over K^2, as the second CompeteSMoE code", NULL},
    {"one-winner", "core", "T=4,K=1,d=4", "", "", "K = 1: no pair, loss 0, gradient 0", NULL},
    {"one-wide", "core", "T=5,K=3,d=1", "", "exact", "d = 1: cosines are 1 or -1, the gradient is 0", NULL},
    {"one-token", "core", "T=1,K=3,d=5", "", "", "a mean over one token", NULL},
    {"collapsed", "adversarial", "T=4,K=2,d=4", "", "DiversitySquare,DiversityGram",
     "alike up to size: 1, where the mean over K^2 entries gives 1/2 (second CompeteSMoE code)", fill_collapsed},
    {"collapsed-4", "adversarial", "T=4,K=4,d=4", "", "DiversitySquare,DiversityGram", "1, where K^2 gives 3/4",
     fill_collapsed},
    {"collapsed-square", "adversarial", "T=4,K=2,d=4", "mean=square", "DiversityPairs",
     "and the other way about: 1/2 is meant", fill_collapsed},
    {"sizes", "adversarial", "T=4,K=3,d=4", "", "DiversityGram,DiversitySquare",
     "outputs of sizes 4, 1, 1/4: cosines do not see size, a raw Gram matrix sees nothing else", fill_sizes},
    {"orthogonal", "adversarial", "T=4,K=3,d=4", "", "GradScale", "loss 0 with a gradient that is not",
     fill_orthogonal},
    {"opposite", "adversarial", "T=4,K=2,d=4", "", "DiversityAbs", "-1, the least for K = 2", fill_opposite_rows},
    {"silent", "adversarial", "T=4,K=3,d=4", "", "ZeroNorm",
     "a zero output has no direction: u = 0, gradient 0, no NaN", fill_one_silent},
    {"large", "large", "T=64,K=2,d=64", "", "", "the size of the layers' large cases", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- compete.layer ------------------------------------------------------------------------------------------------ */

static const op_tensor layer_in[] = {
    {"x", "T,d", OP_INPUT, OP_DIFF, "tokens"},
    {"wr", "N,d", OP_INPUT, OP_DIFF, "router weights"},
    {"br", "N", OP_INPUT, OP_DIFF, "router bias"},
    {"w1", "N,h,d", OP_INPUT, OP_DIFF, "first weights of the experts"},
    {"b1", "N,h", OP_INPUT, OP_DIFF, "first biases"},
    {"w2", "N,d,h", OP_INPUT, OP_DIFF, "second weights"},
    {"b2", "N,d", OP_INPUT, OP_DIFF, "second biases"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor layer_out[] = {
    {"y", "T,d", OP_BOUNDED, OP_DIFF, "output of the layer"},
    {"loss", "", OP_BOUNDED, OP_DIFF, "the terms by their coefficients"},
    {"distill", "", OP_BOUNDED, OP_DIFF, "distillation loss; 0 without competition"},
    {"diversity", "", OP_BOUNDED, OP_DIFF, "diversity loss of the winners; 0 without competition"},
    {"balance", "", OP_BOUNDED, OP_DIFF, "balancing loss on s, without competition on r"},
    {"zloss", "", OP_BOUNDED, OP_DIFF, "z-loss of r; 0 with competition"},
    {"index", "T,K", OP_DECISION, OP_I64, "the winners, without competition the router's choice"},
    {"weight", "T,K", OP_BOUNDED, OP_DIFF, "their weights, in the order of index"},
    {"margin", "T", OP_STAGE, OP_MARGIN, "K-th less (K+1)-th score, +inf if K = N"},
    {"r", "T,N", OP_STAGE, 0, "router logits"},
    {"s", "T,N", OP_STAGE, 0, "responses; zeros without competition"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param layer_param[] = {
    {"k", OP_INT, "2", "experts a token"},
    {"version", OP_CHOICE, "2", "2: mean softplus, weights s / sum of s"},
    {"compete", OP_CHOICE, "yes|no", "a step with competition, or one by the router"},
    {"order", OP_CHOICE, "topk-softmax|softmax-topk|softmax-topk-renorm", "the router's weights, for compete=no"},
    {"activation", OP_CHOICE, "relu|gelu", "inside the experts"},
    {"theta", OP_REAL, "0.125", "weight of the winners' term of the distillation loss"},
    {"detach", OP_CHOICE, "yes|no", "is the distillation target a constant?"},
    {"mean", OP_CHOICE, "pairs|square", "divide the diversity loss by K (K - 1), or by K^2"},
    {"count", OP_CHOICE, "all|first", "the balancing loss counts all K choices, or the first"},
    {"c_distill", OP_REAL, "0.01", "coefficient of distill in loss"},
    {"c_diversity", OP_REAL, "0.01", "coefficient of diversity in loss"},
    {"c_balance", OP_REAL, "0.01", "coefficient of balance in loss"},
    {"c_zloss", OP_REAL, "0.001", "coefficient of zloss in loss"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *layer_check(const op_case *c)
{
    if (op_dim(c, 'T') < 1) return "T must be at least 1: the losses are means over tokens";
    if (op_dim(c, 'd') < 1 || op_dim(c, 'h') < 1) return "d and h must be at least 1";
    return compete_check_winners(c);
}

smoe_layer_shape compete_shape(const op_case *c)
{
    return (smoe_layer_shape){
        .order = op_is(c, "order", "topk-softmax")   ? SMOE_TOPK_SOFTMAX
                 : op_is(c, "order", "softmax-topk") ? SMOE_SOFTMAX_TOPK
                                                     : SMOE_SOFTMAX_TOPK_RENORM,
        .phi = op_is(c, "activation", "relu") ? SMOE_RELU : SMOE_GELU,
        .T = op_dim(c, 'T'),
        .d = op_dim(c, 'd'),
        .h = op_dim(c, 'h'),
        .N = op_dim(c, 'N'),
        .K = op_dim(c, 'K'),
    };
}

static smoe_compete_options options_of(const op_case *c)
{
    return (smoe_compete_options){
        .count = op_is(c, "count", "all") ? SMOE_COUNT_ALL : SMOE_COUNT_FIRST,
        .target = op_is(c, "detach", "yes") ? SMOE_TARGET_DETACHED : SMOE_TARGET_ATTACHED,
        .diversity = op_is(c, "mean", "pairs") ? SMOE_DIVERSITY_PAIRS : SMOE_DIVERSITY_SQUARE,
        .theta = op_real(c, "theta"),
        .c_distill = op_real(c, "c_distill"),
        .c_diversity = op_real(c, "c_diversity"),
        .c_balance = op_real(c, "c_balance"),
        .c_zloss = op_real(c, "c_zloss"),
    };
}

smoe_layer_in compete_inputs(const op_case *c)
{
    return (smoe_layer_in){op_in(c, "x"),  op_in(c, "wr"), op_in(c, "br"), op_in(c, "w1"),
                           op_in(c, "b1"), op_in(c, "w2"), op_in(c, "b2")};
}

/* Cuts n doubles off a block. */
static double *cut(double **block, size_t n)
{
    double *p = *block;
    *block += n;
    return p;
}

compete_inside compete_inside_new(const smoe_layer_shape *s)
{
    const size_t T = s->T, d = s->d, h = s->h, N = s->N, K = s->K, A = T * K;
    const size_t work =
        T * d + smoe_compete_step_vjp_work(s, &(smoe_compete_options){.chunk = 0}) + smoe_router_step_vjp_work(s);
    compete_inside m;
    const size_t competing = T * N * d + 2 * N * T * h + T * d + 4 * T * N + 6 * N + 2 * A * d + A;
    const size_t routed = 2 * T * N + 2 * A * d + 2 * A * h + 2 * N + T;
    double *p = m.doubles = op_room(competing + routed + work, sizeof *p);
    size_t *q = m.indices = op_room(3 * N + 1 + 2 * A, sizeof *q);
    m.kept = (smoe_compete_kept){
        .o = cut(&p, T * N * d),
        .a = cut(&p, N * T * h),
        .u = cut(&p, N * T * h),
        .e = cut(&p, T * d),
        .response = cut(&p, T * N),
        .p = cut(&p, T * N),
        .q = cut(&p, T * N),
        .qs = cut(&p, T * N),
        .f = cut(&p, N),
        .P = cut(&p, N),
        .won = cut(&p, A * d),
        .unit = cut(&p, A * d),
        .norm = cut(&p, A),
        .value = cut(&p, 4 * N),
        .count = q,
    };
    m.router = (smoe_router_kept){
        .layer = {.offset = q + N,
                  .slot = q + 2 * N + 1,
                  .place = q + 2 * N + 1 + A,
                  .p = cut(&p, T * N),
                  .xs = cut(&p, A * d),
                  .o = cut(&p, A * d),
                  .a = cut(&p, A * h),
                  .u = cut(&p, A * h)},
        .p = cut(&p, T * N),
        .f = cut(&p, N),
        .P = cut(&p, N),
        .lse = cut(&p, T),
        .count = q + 2 * N + 1 + 2 * A,
    };
    m.work = cut(&p, work);
    return m;
}

void compete_inside_free(compete_inside *m)
{
    free(m->doubles);
    free(m->indices);
}

static smoe_status layer_run(op_case *c, compete_inside *m, const smoe_compete_out *out)
{
    const smoe_layer_shape shape = compete_shape(c);
    const smoe_compete_options opt = options_of(c);
    const smoe_layer_in in = compete_inputs(c);
    return op_is(c, "compete", "yes") ? smoe_compete_step(&shape, &opt, &in, out, &m->kept)
                                      : smoe_router_step(&shape, &opt, &in, out, &m->router);
}

smoe_compete_out compete_outputs(const op_case *c, size_t *index)
{
    return (smoe_compete_out){
        op_out(c, "y"),         op_out(c, "r"),       op_out(c, "s"),     index,
        op_out(c, "weight"),    op_out(c, "margin"),  op_out(c, "loss"),  op_out(c, "distill"),
        op_out(c, "diversity"), op_out(c, "balance"), op_out(c, "zloss"),
    };
}

smoe_compete_cot compete_cotangents(const op_case *c)
{
    return (smoe_compete_cot){op_cot(c, "y"),        op_cot(c, "weight"),     *op_cot(c, "loss"),
                              *op_cot(c, "distill"), *op_cot(c, "diversity"), *op_cot(c, "balance"),
                              *op_cot(c, "zloss")};
}

smoe_layer_grad compete_gradients(const op_case *c)
{
    return (smoe_layer_grad){op_grad(c, "x"),  op_grad(c, "wr"), op_grad(c, "br"), op_grad(c, "w1"),
                             op_grad(c, "b1"), op_grad(c, "w2"), op_grad(c, "b2")};
}

static smoe_status layer_forward(op_case *c)
{
    const smoe_layer_shape shape = compete_shape(c);
    compete_inside m = compete_inside_new(&shape);
    size_t *index = op_room(shape.T * shape.K, sizeof *index);
    const smoe_compete_out out = compete_outputs(c, index);
    smoe_status status = layer_run(c, &m, &out);
    op_write_index(c, "index", shape.T * shape.K, index);
    free(index);
    compete_inside_free(&m);
    return status;
}

/* The forward once more, for what lies between; it gives the outputs that are there already. */
static smoe_status layer_vjp(op_case *c)
{
    const smoe_layer_shape shape = compete_shape(c);
    const smoe_compete_options opt = options_of(c);
    const smoe_layer_in in = compete_inputs(c);
    compete_inside m = compete_inside_new(&shape);
    size_t *index = op_room(shape.T * shape.K, sizeof *index);
    const smoe_compete_out out = compete_outputs(c, index);
    const smoe_compete_cot cot = compete_cotangents(c);
    const smoe_layer_grad grad = compete_gradients(c);
    smoe_status status = layer_run(c, &m, &out);
    if (status == SMOE_OK)
        status = op_is(c, "compete", "yes")
                     ? smoe_compete_step_vjp(&shape, &opt, &in, &out, &m.kept, &cot, &grad, m.work)
                     : smoe_router_step_vjp(&shape, &opt, &in, &out, &m.router, &cot, &grad, m.work);
    free(index);
    compete_inside_free(&m);
    return status;
}

/* Cotangents of y and weight 0, and these numbers on the losses: what they teach is not drowned by the task. */
static void losses_only(op_case *c, double loss, double distill, double diversity, double balance, double zloss)
{
    zero_cot(c, "y", op_dim(c, 'T') * op_dim(c, 'd'));
    zero_cot(c, "weight", op_dim(c, 'T') * op_dim(c, 'K'));
    *op_cot(c, "loss") = loss;
    *op_cot(c, "distill") = distill;
    *op_cot(c, "diversity") = diversity;
    *op_cot(c, "balance") = balance;
    *op_cot(c, "zloss") = zloss;
}

static void task_only(op_case *c)
{
    zero_cot(c, "weight", op_dim(c, 'T') * op_dim(c, 'K'));
    *op_cot(c, "loss") = *op_cot(c, "distill") = *op_cot(c, "diversity") = 0;
    *op_cot(c, "balance") = *op_cot(c, "zloss") = 0;
}

/* Expert i answers with x_i in all elements, plus something small of its own; the router's logit i is x_{i+1} (cyclic),
 * so that it is confident and wrong.  Needs d >= N; x is for the caller to fill. */
static void fill_followers(op_case *c, op_rng *r)
{
    const size_t d = op_dim(c, 'd'), h = op_dim(c, 'h'), N = op_dim(c, 'N');
    double *w1 = op_in(c, "w1"), *b1 = op_in(c, "b1"), *w2 = op_in(c, "w2"), *b2 = op_in(c, "b2"), *wr = op_in(c, "wr");
    op_fill_default(c, r);
    for (size_t i = 0; i < N; i++) {
        for (size_t e = 0; e < d; e++) {
            wr[i * d + e] = e == (i + 1) % N ? 1 : op_representable(wr[i * d + e] / 16);
            w1[i * h * d + e] = e == i ? 1 : 0;
            b2[i * d + e] = op_representable(b2[i * d + e] / 4);
            for (size_t k = 0; k < h; k++)
                w2[(i * d + e) * h + k] = k == 0 ? 1 : op_representable(w2[(i * d + e) * h + k] / 8);
        }
        b1[i * h] = 0;
        op_in(c, "br")[i] = op_representable(op_in(c, "br")[i] / 4);
    }
    for (size_t k = 0; k < op_dim(c, 'T') * d; k++) op_in(c, "x")[k] = 0.125 * ((double)op_below(r, 9) - 4);
}

/* Every token ranks the experts its own way. */
void compete_fill_apart(op_case *c, op_rng *r)
{
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd'), N = op_dim(c, 'N');
    double *level = op_room(T * N, sizeof *level);
    fill_followers(c, r);
    op_fill_apart(r, 0.5, T, N, level);
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++)
            op_in(c, "x")[t * d + i] = level[t * N + i] + 1.25; /* never 0, where ReLU has its kink */
    free(level);
}

/* Levels 4, 3, 2, 1 from expert 0 on (N/2 in the second half of the tokens if by_halves), 1/4 behind. */
void compete_fill_ranked(op_case *c, op_rng *r, bool by_halves)
{
    const size_t T = op_dim(c, 'T'), d = op_dim(c, 'd'), N = op_dim(c, 'N');
    fill_followers(c, r);
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) {
            const size_t first = by_halves && 2 * t >= T ? N / 2 : 0, rank = (i + N - first) % N;
            op_in(c, "x")[t * d + i] = (rank < 4 ? 4 - (double)rank : 0.25) + 0.0625 * (double)op_below(r, 3);
        }
}

static void fill_layer_terms(op_case *c, op_rng *r)
{
    compete_fill_apart(c, r);
    losses_only(c, 0, 4, 1, 1, 1);
}

static void fill_layer_total(op_case *c, op_rng *r)
{
    compete_fill_apart(c, r);
    losses_only(c, 1, 0, 0, 0, 0);
}

static void fill_layer_distill(op_case *c, op_rng *r)
{
    compete_fill_apart(c, r);
    losses_only(c, 0, 16, 0, 0, 0);
}

static void fill_layer_diversity(op_case *c, op_rng *r)
{
    compete_fill_apart(c, r);
    losses_only(c, 0, 0, 1, 0, 0);
}

static void fill_layer_balance(op_case *c, op_rng *r)
{
    compete_fill_ranked(c, r, false);
    losses_only(c, 0, 0, 0, 1, 0);
}

static void fill_layer_zloss(op_case *c, op_rng *r)
{
    compete_fill_apart(c, r);
    losses_only(c, 0, 0, 0, 0, 1);
}

static void fill_layer_task(op_case *c, op_rng *r)
{
    compete_fill_apart(c, r);
    task_only(c);
}

static void fill_layer_collapse(op_case *c, op_rng *r)
{
    compete_fill_ranked(c, r, false);
    losses_only(c, 0, 4, 1, 1, 1);
}

static void fill_layer_opposite(op_case *c, op_rng *r)
{
    compete_fill_ranked(c, r, true);
    losses_only(c, 0, 0, 0, 1, 0);
}

/* All experts are copies of the first, as after sparse upcycling; the router has no opinion either. */
void compete_fill_copies(op_case *c, op_rng *r)
{
    const size_t d = op_dim(c, 'd'), h = op_dim(c, 'h'), N = op_dim(c, 'N');
    op_fill_default(c, r);
    for (size_t k = h * d; k < N * h * d; k++)
        op_in(c, "w1")[k] = op_in(c, "w1")[k - h * d], op_in(c, "w2")[k] = op_in(c, "w2")[k - h * d];
    for (size_t k = h; k < N * h; k++) op_in(c, "b1")[k] = op_in(c, "b1")[k - h];
    for (size_t k = d; k < N * d; k++)
        op_in(c, "b2")[k] = op_in(c, "b2")[k - d], op_in(c, "wr")[k] = op_in(c, "wr")[k - d];
    for (size_t i = 1; i < N; i++) op_in(c, "br")[i] = op_in(c, "br")[0];
}

/* Every term at full size in the total. */
#define WHOLE "c_distill=1,c_diversity=1,c_balance=1,c_zloss=1"

/* Expert i answers with 21 + 2 i and a little: its responses are apart, and e^-21 and less from the identity. */
void compete_fill_above_20(op_case *c, op_rng *r)
{
    const size_t N = op_dim(c, 'N'), d = op_dim(c, 'd');
    op_fill_default(c, r);
    double *w2 = op_in(c, "w2");
    for (size_t k = 0; k < N * d * op_dim(c, 'h'); k++) w2[k] = op_representable(w2[k] / 16);
    for (size_t k = 0; k < N * d; k++) op_in(c, "b2")[k] = 21 + 2 * (double)(k / d);
}

static const op_spec layer_cases[] = {
    {"small", "smoke", "T=4,d=4,N=3,h=6", "k=2", "", "a first look", NULL},
    {"small-router", "smoke", "T=4,d=4,N=3,h=6", "k=2,compete=no", "", "a first look, without competition", NULL},
    {"random", "core", "T=8,d=8,N=4,h=12", "k=2", "", "random weights, defaults", NULL},
    {"random-router", "core", "T=8,d=8,N=4,h=12", "k=2,compete=no", "", "the same by the router", NULL},
    {"gelu", "core", "T=6,d=6,N=4,h=8", "k=2,activation=gelu," WHOLE, "", "GELU experts as in version 2's code", NULL},
    {"attached", "core", "T=6,d=6,N=4,h=8", "k=2,detach=no," WHOLE, "", "distillation trains the experts too", NULL},
    {"square", "core", "T=6,d=6,N=4,h=8", "k=3,mean=square," WHOLE, "", "diversity over K^2", NULL},
    {"first", "core", "T=6,d=6,N=4,h=8", "k=2,count=first," WHOLE, "", "load from first choices", NULL},
    {"theta", "core", "T=6,d=6,N=4,h=8", "k=2,theta=2," WHOLE, "", "the winners' term dominates", NULL},
    {"top-1", "core", "T=6,d=6,N=4,h=8", "k=1", "", "one winner: weight 1, no diversity", NULL},
    {"all-win", "core", "T=5,d=6,N=3,h=8", "k=3", "", "K = N", NULL},
    {"one-expert", "core", "T=4,d=5,N=1,h=6", "k=1", "", "N = 1: a feed-forward layer", NULL},
    {"softmax-topk-router", "core,adversarial", "T=6,d=6,N=4,h=8", "k=2,compete=no,order=softmax-topk", "",
     "Switch's order", NULL},
    {"renorm-router", "core,adversarial", "T=6,d=6,N=4,h=8", "k=2,compete=no,order=softmax-topk-renorm,activation=gelu",
     "", "the router of version 2's code", NULL},
    {"first-router", "core", "T=6,d=6,N=4,h=8", "k=2,compete=no,count=first," WHOLE, "", "first choices", NULL},
    {"apart", "adversarial", "T=8,d=8,N=4,h=8", "k=2",
     "WeightsSoftmaxScores,ResponseNorm,DiversitySquare,PermutedScores", "decisions that no precision doubts",
     compete_fill_apart},
    {"above-20", "adversarial", "T=4,d=4,N=4,h=6", "k=2", "SoftplusThreshold",
     "outputs where PyTorch's softplus gives up", compete_fill_above_20},
    {"terms", "adversarial", "T=8,d=8,N=4,h=8", "k=2", "DiversitySquare,TargetNotDetached,PermutedScores,TargetMasked",
     "cotangents on the terms alone: what they teach is not drowned by the task", fill_layer_terms},
    {"total", "adversarial", "T=8,d=8,N=4,h=8", "k=2," WHOLE, "DiversitySquare,PermutedScores",
     "cotangent on the total alone: each coefficient reaches its term", fill_layer_total},
    {"distill", "adversarial", "T=8,d=8,N=4,h=8", "k=2,theta=1",
     "TargetNotDetached,TargetMasked,DistillWinnersSum,PermutedScores",
     "distillation alone, target detached: the experts' gradients are exactly 0", fill_layer_distill},
    {"distill-attached", "adversarial", "T=8,d=8,N=4,h=8", "k=2,theta=1,detach=no", "TargetDetached,TargetMasked",
     "and not 0 when it is attached", fill_layer_distill},
    {"diversity", "adversarial", "T=8,d=8,N=4,h=8", "k=2", "DiversitySquare,DiversityGram",
     "diversity alone: the winners' gradients, and 1/2 of them over K^2", fill_layer_diversity},
    {"diversity-3", "adversarial", "T=8,d=8,N=4,h=8", "k=3", "DiversitySquare,DiversityGram",
     "three winners: 2/3 of them over K^2", fill_layer_diversity},
    {"balance", "adversarial", "T=8,d=8,N=4,h=8", "k=2",
     "LblDoubleSoftmax,LblProbOverTK,LblTopKNorm,LblFirstChoiceOnly,LblGrad",
     "all tokens want the same experts; balance alone: its gradient reaches all experts through P", fill_layer_balance},
    {"task", "adversarial", "T=8,d=8,N=4,h=8", "k=2", "WeightsSoftmaxScores,CombineGradNone,RouterTaskGradient",
     "the task alone: the router's gradient is exactly 0, the experts' has a part through the weights",
     fill_layer_task},
    {"collapse", "adversarial", "T=8,d=8,N=4,h=8", "k=2",
     "LblDoubleSoftmax,LblProbOverTK,LblTopKNorm,LblFirstChoiceOnly,LblConstant,DiversitySquare",
     "every token's winners are the same two, and alike", fill_layer_collapse},
    {"opposite", "adversarial", "T=8,d=8,N=4,h=8", "k=2", "LblPerSequence",
     "two halves collapsed on opposite experts: balance 1 for the batch", fill_layer_opposite},
    {"diversity-over-square", "adversarial", "T=8,d=8,N=4,h=8", "k=2,mean=square", "DiversityPairs",
     "1/2 of it is meant", fill_layer_diversity},
    {"balance-first", "adversarial", "T=8,d=8,N=4,h=8", "k=2,count=first", "LblCountAll",
     "first choices are what is meant", fill_layer_balance},
    {"copies", "adversarial", "T=4,d=4,N=4,h=6", "k=2", "ties,TieOrder",
     "experts are copies (sparse upcycling): all tie, diversity is 1 and its gradient 0", compete_fill_copies},
    {"copies-router", "adversarial", "T=4,d=4,N=4,h=6", "k=2,compete=no", "ties,TieOrder",
     "a router without opinion: all logits tie", compete_fill_copies},
    {"apart-router", "adversarial", "T=8,d=8,N=4,h=8", "k=2,compete=no", "DoubleSoftmaxWeights,CombineGradNone",
     "decisions that no precision doubts, without competition", compete_fill_apart},
    {"apart-renorm-router", "adversarial", "T=8,d=8,N=4,h=8", "k=2,compete=no,order=softmax-topk-renorm",
     "DoubleSoftmaxWeights,CombineGradNone,NormTopK", "the same with the router of version 2's code",
     compete_fill_apart},
    {"task-router", "adversarial", "T=8,d=8,N=4,h=8", "k=2,compete=no", "CombineGradNone,DoubleSoftmaxWeights",
     "the task alone reaches the router through the weights", fill_layer_task},
    {"balance-router", "adversarial", "T=8,d=8,N=4,h=8", "k=2,compete=no",
     "LblDoubleSoftmax,LblProbOverTK,LblTopKNorm,LblFirstChoiceOnly,LblGrad", "balance alone, on the logits",
     fill_layer_balance},
    {"zloss-router", "adversarial", "T=8,d=8,N=4,h=8", "k=2,compete=no", "ZLossInput", "z-loss alone",
     fill_layer_zloss},
    {"collapse-router", "adversarial", "T=8,d=8,N=4,h=8", "k=2,compete=no",
     "LblDoubleSoftmax,LblProbOverTK,LblTopKNorm,LblFirstChoiceOnly,LblConstant,ZLossInput",
     "every token on the same two experts", fill_layer_collapse},
    {"opposite-router", "adversarial", "T=8,d=8,N=4,h=8", "k=2,compete=no", "LblPerSequence",
     "two halves collapsed on opposite experts: balance 1 for the batch", fill_layer_opposite},
    {"large", "large", "T=64,d=64,N=8,h=128", "k=2", "", "a layer of some size", NULL},
    {"large-router", "large", "T=64,d=64,N=8,h=128", "k=2,compete=no", "", "the same without competition", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

const op_record op_compete[] = {
    {"compete.response", "Response of an expert", "C.1",
     "s_i = (1/d) sum_e softplus(o_{i,e});  norm: |o_i|;  relu, sigmoid, silu: the mean of that function",
     "softplus: CompeteSMoE v2, a review of the paper and its code; norm: CompeteSMoE v1, code and third parties",
     "ref/compete.c: smoe_response_softplus, _norm, _relu, _sigmoid, _silu, each with _vjp", response_in, response_out,
     response_param, response_cases, response_check, response_forward, response_vjp},
    {"compete.route", "Winners, weights and combination", "C.1 C.2 C.3",
     "s = responses, I = TopK(s), weight_j = s_{I_j} / sum_I s (version 1: softmax(s_I)), y = sum_j weight_j o_{I_j}",
     "version 2: CompeteSMoE v2, a review and its code; version 1: CompeteSMoE v1, its code (paper's form not seen)",
     "ref/compete.c: smoe_route, smoe_route_vjp, smoe_route_v1, smoe_route_v1_vjp", route_in, route_out, route_param,
     route_cases, route_check, route_forward, route_vjp},
    {"compete.distill", "Distillation of the outcome into the router", "C.4 C.5 C.9",
     "p = softmax(r), q = softmax(s);  loss = mean_{t,i} (p - q)^2 + theta mean_{t, i in I} (p - q)^2;  "
     "version 1: q = softmax(s_I), 0 outside I, and the first mean alone, or a divergence",
     "CompeteSMoE v2: the two means by a review of the paper and its code; that s is softmaxed by its code only; "
     "version 1: CompeteSMoE v1, its code (paper's form not seen)",
     "ref/compete.c: smoe_distill, smoe_distill_winners_loss, smoe_distill_v1, smoe_distill_kl, "
     "smoe_distill_kl_clamped, each with _vjp and _target_vjp",
     distill_in, distill_out, distill_param, distill_cases, distill_check, distill_forward, distill_vjp},
    {"compete.diversity", "Diversity of the winners", "C.6",
     "loss = (1/T) sum_t (1/(K (K-1))) sum_{i != j} <u_i, u_j>,  u = o / |o|;  square: 1/K^2",
     "pairs: a review of CompeteSMoE v2; square: its code",
     "ref/compete.c: smoe_diversity_pairs, smoe_diversity_square, each with _vjp", diversity_in, diversity_out,
     diversity_param, diversity_cases, diversity_check, diversity_forward, diversity_vjp},
    {"compete.layer", "CompeteSMoE layer and its total loss", "C.1 C.2 C.3 C.4 C.5 C.6 C.7 C.8",
     "compete=yes: y by compete.route, loss = c_distill distill + c_diversity diversity + c_balance balance; "
     "no: y by layer.smoe, loss = c_balance balance + c_zloss zloss",
     "CompeteSMoE v2: the order of a step by its code; terms by a review and the code (see each)",
     "ref/compete.c: smoe_compete_step, smoe_compete_step_vjp, smoe_router_step, smoe_router_step_vjp", layer_in,
     layer_out, layer_param, layer_cases, layer_check, layer_forward, layer_vjp},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
