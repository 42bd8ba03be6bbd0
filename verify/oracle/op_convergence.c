/* Operations of chapter T: spec/08-convergence.md. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "convergence.h"
#include "op.h"

/* --- a model from named tensors ----------------------------------------------------------------------------------- */

#define MODEL_INPUTS                                                                                                   \
    {"nu", "N", OP_INPUT, OP_DIFF, "variances of the atoms, above 0"},                                                 \
        {"beta0", "N", OP_INPUT, OP_DIFF, "logs of the free weights; unused, with gradient 0, if free=no"},            \
        {"beta1", "N,d", OP_INPUT, OP_DIFF, "slopes of the softmax gate; unused, with gradient 0, under other gates"}, \
    {                                                                                                                  \
        NULL, NULL, OP_INPUT, 0, NULL                                                                                  \
    }
#define LINEAR_INPUTS                                                                                                  \
    {"x", "n,d", OP_INPUT, OP_DIFF, "what the density is conditional on"}, {"y", "n", OP_INPUT, OP_DIFF, "outcomes"},  \
        {"a", "N,d", OP_INPUT, OP_DIFF, "slopes of the experts"},                                                      \
        {"b", "N", OP_INPUT, OP_DIFF, "intercepts of the experts"}, MODEL_INPUTS
#define HIDDEN_INPUTS                                                                                                  \
    {"x", "n,d", OP_INPUT, OP_DIFF, "what the density is conditional on"}, {"y", "n", OP_INPUT, OP_DIFF, "outcomes"},  \
        {"w", "N,H,d", OP_INPUT, OP_DIFF, "weights into the experts' hidden units"},                                   \
        {"c", "N,H", OP_INPUT, OP_DIFF, "their biases"}, {"v", "N,H", OP_INPUT, OP_DIFF, "weights out of them"},       \
        {"b", "N", OP_INPUT, OP_DIFF, "biases of the experts"}, MODEL_INPUTS
#define GATE_PARAMETERS                                                                                                \
    {"gate", OP_CHOICE, "norm|softplus|softplus-softmax|softmax",                                                      \
     "the score that competes: |h|, ln softplus(h), softplus(h), or a gate of its own <beta1, x>"},                    \
        {"free", OP_CHOICE, "yes|no", "whether e^beta0 multiplies an atom's weight"},                                  \
    {                                                                                                                  \
        "k", OP_INT, "2", "atoms that get weight at an x; N for all of them"                                           \
    }
#define DECISION_OUTPUTS                                                                                               \
    {"margin", "n", OP_STAGE, OP_MARGIN, "k-th score less the next; infinite for k = N"},                              \
    {                                                                                                                  \
        "index", "n,K", OP_DECISION, OP_I64 | OP_OPTIONAL, "the k atoms with the largest scores, free weights apart"   \
    }

static const op_tensor linear_in[] = {LINEAR_INPUTS}, hidden_in[] = {HIDDEN_INPUTS};
static const op_param linear_param[] = {GATE_PARAMETERS, {NULL, OP_INT, NULL, NULL}};
static const op_param hidden_param[] = {
    {"activation", OP_CHOICE, "tanh|gelu|sigmoid", "of the hidden units"},
    GATE_PARAMETERS,
    {NULL, OP_INT, NULL, NULL},
};

static bool is_hidden(const op_case *c) { return strstr(c->op->id, ".hidden") != NULL; }

static smoe_mix_shape shape_of(const op_case *c)
{
    smoe_mix_shape s = {.gate = op_is(c, "gate", "norm")               ? SMOE_MIX_NORM
                                : op_is(c, "gate", "softplus")         ? SMOE_MIX_SOFTPLUS
                                : op_is(c, "gate", "softplus-softmax") ? SMOE_MIX_SOFTPLUS_SOFTMAX
                                                                       : SMOE_MIX_SOFTMAX};
    s.free_weights = op_is(c, "free", "yes");
    s.k = op_dim(c, 'N');
    s.d = op_dim(c, 'd');
    s.topk = (size_t)op_int(c, "k");
    if (!is_hidden(c)) return s;
    s.H = op_dim(c, 'H');
    s.expert = op_is(c, "activation", "tanh")   ? SMOE_MIX_TANH
               : op_is(c, "activation", "gelu") ? SMOE_MIX_GELU
                                                : SMOE_MIX_SIGMOID;
    return s;
}

static const char *model_check(const op_case *c)
{
    const long N = (long)op_dim(c, 'N'), k = op_int(c, "k");
    if (op_dim(c, 'n') < 1) return "n must be at least 1: a mean over no samples is not defined";
    if (N < 1) return "N must be at least 1: there is no atom";
    if (op_dim(c, 'd') < 1) return "d must be at least 1";
    if (is_hidden(c) && op_dim(c, 'H') < 1) return "H must be at least 1: there is no hidden unit";
    return k < 1 || k > N ? "k must be at least 1 and at most N" : NULL;
}

/* Where the tensors of atom i stand, in the order of theta. */
typedef struct {
    const char *name;
    size_t width, at; /* at: offset in the atom; SIZE_MAX: the model does not have it */
} part;

enum { PARTS = 7 };

static size_t parts_of(const op_case *c, const smoe_mix_shape *s, part *parts)
{
    size_t n = 0;
    if (is_hidden(c)) {
        parts[n++] = (part){"w", s->H * s->d, 0};
        parts[n++] = (part){"c", s->H, s->H * s->d};
        parts[n++] = (part){"v", s->H, s->H * (s->d + 1)};
    } else {
        parts[n++] = (part){"a", s->d, 0};
    }
    parts[n++] = (part){"b", 1, smoe_mix_expert_size(s) - 1};
    parts[n++] = (part){"nu", 1, smoe_mix_variance_at(s)};
    parts[n++] = (part){"beta0", 1, s->free_weights ? smoe_mix_beta0_at(s) : SIZE_MAX};
    parts[n++] = (part){"beta1", s->d, s->gate == SMOE_MIX_SOFTMAX ? smoe_mix_beta1_at(s) : SIZE_MAX};
    return n;
}

static const char *prefixed(char *name, const char *prefix, const char *rest)
{
    strcpy(name, prefix);
    return strcat(name, rest);
}

/* A vector [k,p] of the tensors with these names after the prefix; for free(). */
static double *vector_of(const op_case *c, const smoe_mix_shape *s, double *(*of)(const op_case *, const char *),
                         const char *prefix)
{
    part parts[PARTS];
    const size_t n = parts_of(c, s, parts), p = smoe_mix_stride(s);
    double *vector = op_room(smoe_mix_parameters(s), sizeof *vector);
    for (size_t j = 0; j < n; j++) {
        char name[16];
        const double *from = of(c, prefixed(name, prefix, parts[j].name));
        for (size_t i = 0; i < s->k && parts[j].at != SIZE_MAX; i++)
            memcpy(vector + i * p + parts[j].at, from + i * parts[j].width, parts[j].width * sizeof *vector);
    }
    return vector;
}

static double *theta_of(const op_case *c, const smoe_mix_shape *s) { return vector_of(c, s, op_in, ""); }

/* Adds theta's gradient to those of the inputs. */
static void add_to_inputs(op_case *c, const smoe_mix_shape *s, const double *dtheta)
{
    part parts[PARTS];
    const size_t n = parts_of(c, s, parts), p = smoe_mix_stride(s);
    for (size_t j = 0; j < n; j++) {
        double *to = op_grad(c, parts[j].name);
        for (size_t i = 0; i < s->k && parts[j].at != SIZE_MAX; i++)
            for (size_t l = 0; l < parts[j].width; l++) to[i * parts[j].width + l] += dtheta[i * p + parts[j].at + l];
    }
}

static void zero_inputs(op_case *c, const smoe_mix_shape *s)
{
    part parts[PARTS];
    const size_t n = parts_of(c, s, parts);
    for (size_t j = 0; j < n; j++) { memset(op_grad(c, parts[j].name), 0, s->k * parts[j].width * sizeof(double)); }
}

/* The scores that compete at x_t, [n,N]; the k largest of each; the margin of each. */
static smoe_status decide(op_case *c, const smoe_mix_shape *s, const double *theta, double *work)
{
    const size_t n = op_dim(c, 'n'), p = smoe_mix_stride(s);
    double *score = op_room(n * s->k, sizeof *score), *pi = op_room(s->k, sizeof *pi), h;
    size_t *index = op_room(n * s->topk, sizeof *index);
    smoe_status status = SMOE_OK;
    for (size_t t = 0; t < n && status == SMOE_OK; t++) {
        const double *x = op_in(c, "x") + t * s->d;
        status = smoe_mix_weights(s, theta, x, work, pi, op_out(c, "margin") + t);
        for (size_t i = 0; i < s->k && status == SMOE_OK; i++) {
            const double *atom = theta + i * p;
            status = smoe_mix_mean(s, atom, x, work, &h);
            score[t * s->k + i] = s->gate == SMOE_MIX_SOFTMAX ? smoe_dot(s->d, atom + smoe_mix_beta1_at(s), x)
                                                              : smoe_mix_score(s->gate, h);
        }
    }
    if (status == SMOE_OK) status = op_choose(n, s->k, s->topk, score, index);
    if (status == SMOE_OK) op_write_index(c, "index", n * s->topk, index);
    free(score);
    free(pi);
    free(index);
    return status;
}

/* --- convergence.density ------------------------------------------------------------------------------------------ */

static const op_tensor density_out[] = {
    {"logp", "n", OP_BOUNDED, OP_DIFF, "ln p(y|x) of each sample"},
    DECISION_OUTPUTS,
    {NULL, NULL, OP_INPUT, 0, NULL},
};

static smoe_status density_forward(op_case *c)
{
    const smoe_mix_shape s = shape_of(c);
    double *theta = theta_of(c, &s), *work = op_room(smoe_mix_work(&s), sizeof *work);
    smoe_status status = decide(c, &s, theta, work);
    for (size_t t = 0; t < op_dim(c, 'n') && status == SMOE_OK; t++)
        status =
            smoe_mix_log_density(&s, theta, op_in(c, "x") + t * s.d, op_in(c, "y")[t], work, op_out(c, "logp") + t);
    free(theta);
    free(work);
    return status;
}

static smoe_status density_vjp(op_case *c)
{
    const smoe_mix_shape s = shape_of(c);
    double *theta = theta_of(c, &s), *work = op_room(smoe_mix_work(&s), sizeof *work);
    double *dtheta = op_room(smoe_mix_parameters(&s), sizeof *dtheta);
    smoe_status status = SMOE_OK;
    zero_inputs(c, &s);
    for (size_t t = 0; t < op_dim(c, 'n') && status == SMOE_OK; t++) {
        status = smoe_mix_log_density_vjp(&s, theta, op_in(c, "x") + t * s.d, op_in(c, "y")[t], op_cot(c, "logp")[t],
                                          work, dtheta, op_grad(c, "x") + t * s.d, op_grad(c, "y") + t);
        if (status == SMOE_OK) add_to_inputs(c, &s, dtheta);
    }
    free(theta);
    free(work);
    free(dtheta);
    return status;
}

/* --- convergence.loglik ------------------------------------------------------------------------------------------- */

static const op_tensor loglik_out[] = {
    {"loglik", "", OP_BOUNDED, OP_DIFF, "mean of ln p(y|x) over the samples"},
    DECISION_OUTPUTS,
    {NULL, NULL, OP_INPUT, 0, NULL},
};

static smoe_status loglik_forward(op_case *c)
{
    const smoe_mix_shape s = shape_of(c);
    double *theta = theta_of(c, &s), *work = op_room(smoe_mix_work(&s), sizeof *work);
    smoe_status status = decide(c, &s, theta, work);
    if (status == SMOE_OK)
        status = smoe_mix_loglik(&s, op_dim(c, 'n'), theta, op_in(c, "x"), op_in(c, "y"), work, op_out(c, "loglik"));
    free(theta);
    free(work);
    return status;
}

static smoe_status loglik_vjp(op_case *c)
{
    const smoe_mix_shape s = shape_of(c);
    double *theta = theta_of(c, &s), *work = op_room(smoe_mix_work(&s), sizeof *work);
    double *dtheta = op_room(smoe_mix_parameters(&s), sizeof *dtheta);
    zero_inputs(c, &s);
    const smoe_status status =
        smoe_mix_loglik_vjp(&s, op_dim(c, 'n'), theta, op_in(c, "x"), op_in(c, "y"), *op_cot(c, "loglik"), work, dtheta,
                            op_grad(c, "x"), op_grad(c, "y"));
    if (status == SMOE_OK) add_to_inputs(c, &s, dtheta);
    free(theta);
    free(work);
    free(dtheta);
    return status;
}

/* --- convergence.hvp ---------------------------------------------------------------------------------------------- */

static const op_tensor hvp_in[] = {
    {"x", "n,d", OP_INPUT, 0, "what the density is conditional on"},
    {"y", "n", OP_INPUT, 0, "outcomes"},
    {"a", "N,d", OP_INPUT, 0, "slopes of the experts"},
    {"b", "N", OP_INPUT, 0, "intercepts of the experts"},
    {"nu", "N", OP_INPUT, 0, "variances of the atoms, above 0"},
    {"beta0", "N", OP_INPUT, 0, "logs of the free weights; unused if free=no"},
    {"beta1", "N,d", OP_INPUT, 0, "slopes of the softmax gate; unused under other gates"},
    {"va", "N,d", OP_INPUT, OP_DIFF, "the direction's part along a"},
    {"vb", "N", OP_INPUT, OP_DIFF, "along b"},
    {"vnu", "N", OP_INPUT, OP_DIFF, "along nu"},
    {"vbeta0", "N", OP_INPUT, OP_DIFF, "along beta0; unused, with gradient 0, if free=no"},
    {"vbeta1", "N,d", OP_INPUT, OP_DIFF, "along beta1; unused, with gradient 0, under other gates than softmax"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor hvp_out[] = {
    {"ha", "N,d", OP_BOUNDED, OP_DIFF, "the product's part for a"},
    {"hb", "N", OP_BOUNDED, OP_DIFF, "for b"},
    {"hnu", "N", OP_BOUNDED, OP_DIFF, "for nu"},
    {"hbeta0", "N", OP_BOUNDED, OP_DIFF, "for beta0; 0 if free=no"},
    {"hbeta1", "N,d", OP_BOUNDED, OP_DIFF, "for beta1; 0 under other gates than softmax"},
    DECISION_OUTPUTS,
    {NULL, NULL, OP_INPUT, 0, NULL},
};

typedef double *(*named)(const op_case *c, const char *name);

/* The parts of a vector [k,p] that stand under prefixed names, zeros where the model has none. */
static void split(const op_case *c, const smoe_mix_shape *s, named of, const char *prefix, const double *vector)
{
    part parts[PARTS];
    const size_t n = parts_of(c, s, parts), p = smoe_mix_stride(s);
    for (size_t j = 0; j < n; j++) {
        char name[16];
        double *to = of(c, prefixed(name, prefix, parts[j].name));
        for (size_t i = 0; i < s->k; i++)
            for (size_t l = 0; l < parts[j].width; l++)
                to[i * parts[j].width + l] = parts[j].at == SIZE_MAX ? 0 : vector[i * p + parts[j].at + l];
    }
}

/* H times the vector under `from`, into the tensors under `to`: the forward, and, as H is symmetric, the gradient. */
static smoe_status hessian_times(op_case *c, named from, const char *from_prefix, named to, const char *to_prefix)
{
    const smoe_mix_shape s = shape_of(c);
    double *theta = theta_of(c, &s), *v = vector_of(c, &s, from, from_prefix);
    double *work = op_room(smoe_mix_work(&s), sizeof *work), *Hv = op_room(smoe_mix_parameters(&s), sizeof *Hv);
    const smoe_status status = smoe_mix_hvp(&s, op_dim(c, 'n'), theta, v, op_in(c, "x"), op_in(c, "y"), work, Hv);
    if (status == SMOE_OK) split(c, &s, to, to_prefix, Hv);
    free(theta);
    free(v);
    free(work);
    free(Hv);
    return status;
}

static smoe_status hvp_forward(op_case *c)
{
    const smoe_mix_shape s = shape_of(c);
    double *theta = theta_of(c, &s), *work = op_room(smoe_mix_work(&s), sizeof *work);
    const smoe_status status = decide(c, &s, theta, work);
    free(theta);
    free(work);
    return status == SMOE_OK ? hessian_times(c, op_in, "v", op_out, "h") : status;
}

static smoe_status hvp_vjp(op_case *c) { return hessian_times(c, op_cot, "h", op_grad, "v"); }

/* --- cases of both ------------------------------------------------------------------------------------------------ */

static double *positive(op_case *c, op_rng *r, const char *name)
{
    double *nu = op_in(c, name);
    for (size_t i = 0; i < op_dim(c, 'N'); i++) nu[i] = op_representable(0.25 + 0.125 * (double)op_below(r, 13));
    return nu;
}

/* Parameters of order one, variances from 1/4 to 7/4. */
static void fill_model(op_case *c, op_rng *r)
{
    op_fill_default(c, r);
    positive(c, r, "nu");
}

/* Scores apart: constant experts (and slopes of the gate 0 but for x_0 = 1), so that no choice is in doubt. */
static void fill_apart(op_case *c, op_rng *r)
{
    const size_t N = op_dim(c, 'N'), d = op_dim(c, 'd'), n = op_dim(c, 'n');
    double *level = op_room(N, sizeof *level);
    fill_model(c, r);
    op_fill_apart(r, 0.5, 1, N, level);
    for (size_t t = 0; t < n; t++) op_in(c, "x")[t * d] = 1;
    for (size_t i = 0; i < N; i++) {
        const double sign = op_below(r, 2) ? 1 : -1;
        const bool norm = op_is(c, "gate", "norm");
        for (size_t l = 0; l < d; l++) op_in(c, "a")[i * d + l] = op_in(c, "beta1")[i * d + l] = 0;
        op_in(c, "b")[i] = norm ? sign * (2 + (double)i) : level[i];
        op_in(c, "beta1")[i * d] = level[i];
    }
    free(level);
}

/* Atoms in pairs of equal ones: their scores tie, and the lower index is taken. */
static void fill_ties(op_case *c, op_rng *r)
{
    fill_model(c, r);
    const size_t d = op_dim(c, 'd');
    for (size_t i = 1; i < op_dim(c, 'N'); i += 2) {
        memcpy(op_in(c, "a") + i * d, op_in(c, "a") + (i - 1) * d, d * sizeof(double));
        memcpy(op_in(c, "beta1") + i * d, op_in(c, "beta1") + (i - 1) * d, d * sizeof(double));
        op_in(c, "b")[i] = op_in(c, "b")[i - 1];
    }
}

/* Means of both signs and equal size: |h| ties where h does not. */
static void fill_signs(op_case *c, op_rng *r)
{
    fill_model(c, r);
    for (size_t i = 0; i < op_dim(c, 'N'); i++) {
        for (size_t l = 0; l < op_dim(c, 'd'); l++) op_in(c, "a")[i * op_dim(c, 'd') + l] = 0;
        op_in(c, "b")[i] = i % 2 ? -1 - (double)i / 2 : 2;
    }
}

/* An expert that answers 0: |h| has no slope there, and 0 is taken. */
static void fill_kink(op_case *c, op_rng *r)
{
    fill_model(c, r);
    for (size_t l = 0; l < op_dim(c, 'd'); l++) op_in(c, "a")[l] = 0;
    op_in(c, "b")[0] = 0;
}

/* Outcomes far from every mean: p underflows, ln p does not. */
static void fill_far(op_case *c, op_rng *r)
{
    fill_model(c, r);
    for (size_t t = 0; t < op_dim(c, 'n'); t++) op_in(c, "y")[t] = t % 2 ? 64 : -64;
}

/* Responses far below 0: softplus is e^h there, and its logarithm h. */
static void fill_below(op_case *c, op_rng *r)
{
    fill_model(c, r);
    for (size_t i = 0; i < op_dim(c, 'N'); i++) op_in(c, "b")[i] = -12 - 4 * (double)i;
}

static const op_spec linear_cases[] = {
    {"small", "smoke", "n=3,N=2,d=1", "", "", "first look: two atoms, one dimension", fill_model},
    {"softmax", "smoke", "n=3,N=2,d=2", "gate=softmax", "", "the ordinary gate", fill_model},
    {"norm", "core", "n=6,N=3,d=2", "k=3", "", "version 1, all atoms", fill_model},
    {"softplus", "core", "n=6,N=3,d=2", "gate=softplus,k=3", "", "version 2 as the algorithm weighs", fill_model},
    {"softplus-softmax", "core", "n=6,N=3,d=2", "gate=softplus-softmax,k=3", "", "version 2 through a softmax",
     fill_model},
    {"softmax-three", "core", "n=6,N=3,d=2", "gate=softmax,k=3", "", "the ordinary gate, three atoms", fill_model},
    {"no-free", "core", "n=6,N=3,d=2", "free=no,k=3", "FreeWeightDropped", "no free weights: beta0 has gradient 0",
     fill_model},
    {"softmax-no-free", "core", "n=6,N=3,d=2", "gate=softmax,free=no,k=3", "", "a softmax gate by slopes alone",
     fill_model},
    {"top2", "core", "n=5,N=4,d=3", "k=2", "TopKNoRenorm", "two of four atoms, scores apart", fill_apart},
    {"top1-softplus", "core", "n=4,N=3,d=2", "gate=softplus,k=1", "", "one atom of three has all weight", fill_apart},
    {"top2-softmax", "core", "n=5,N=4,d=3", "gate=softmax,k=2", "TopKAfterFree", "top K inside the softmax",
     fill_apart},
    {"one", "core", "n=4,N=1,d=2", "k=1", "", "one atom: a regression", fill_model},
    {"signs", "adversarial", "n=4,N=4,d=2", "k=4", "GateSign", "negative means compete by their size", fill_signs},
    {"ties", "adversarial", "n=4,N=4,d=2", "k=3", "ties", "equal atoms: the lower index is taken", fill_ties},
    {"kink", "adversarial", "n=3,N=2,d=2", "k=2", "", "|h| at 0", fill_kink},
    {"far", "adversarial", "n=4,N=3,d=2", "k=3", "", "outcomes where p underflows", fill_far},
    {"below", "adversarial", "n=3,N=2,d=2", "gate=softplus,k=2", "", "responses far below 0", fill_below},
    {"many", "large", "n=256,N=8,d=16", "k=4", "", "a sample of some size", fill_model},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
static const op_spec hidden_cases[] = {
    {"small", "smoke", "n=3,N=2,d=1,H=2", "", "", "first look: two tanh experts", fill_model},
    {"tanh", "core", "n=5,N=3,d=2,H=3", "k=3", "", "tanh, version 1", fill_model},
    {"gelu", "core", "n=5,N=3,d=2,H=3", "activation=gelu,gate=softplus,k=3", "", "GELU, version 2", fill_model},
    {"sigmoid", "core", "n=5,N=3,d=2,H=3", "activation=sigmoid,gate=softplus-softmax,k=3", "", "sigmoid", fill_model},
    {"softmax", "core", "n=5,N=3,d=2,H=3", "gate=softmax,free=no,k=3", "", "the ordinary gate", fill_model},
    {"top2", "core", "n=5,N=3,d=2,H=3", "gate=softmax,k=2", "", "two of three atoms", fill_model},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

static const op_spec hvp_cases[] = {
    {"small", "smoke", "n=3,N=2,d=1", "", "", "first look: two atoms, one dimension", fill_model},
    {"softmax", "smoke", "n=3,N=2,d=2", "gate=softmax", "", "the ordinary gate", fill_model},
    {"norm", "core", "n=6,N=3,d=2", "k=3", "", "version 1, all atoms", fill_model},
    {"softplus", "core", "n=6,N=3,d=2", "gate=softplus,k=3", "HvpNoSecond", "version 2 as the algorithm weighs",
     fill_model},
    {"softplus-softmax", "core", "n=6,N=3,d=2", "gate=softplus-softmax,k=3", "", "version 2 through a softmax",
     fill_model},
    {"no-free", "core", "n=6,N=3,d=2", "free=no,k=3", "FreeWeightDropped", "no free weights", fill_model},
    {"top2", "core", "n=5,N=4,d=3", "k=2", "", "two of four atoms, scores apart", fill_apart},
    {"one", "core", "n=4,N=1,d=2", "k=1", "HvpGaussNewton", "one atom: a regression", fill_model},
    {"kink", "adversarial", "n=3,N=2,d=2", "k=2", "", "|h| at 0", fill_kink},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

#define DENSITY_CODE "ref/convergence.c: smoe_mix_log_density, smoe_mix_log_density_vjp"
#define LOGLIK_CODE  "ref/convergence.c: smoe_mix_loglik, smoe_mix_loglik_vjp"
#define MODEL_SOURCE                                                                                                   \
    "FuseMoE (arXiv 2402.03226; text seen) with the competition of CompeteSMoE for its gate; spec T.2 says how surely"

const op_record op_convergence[] = {
    {"convergence.density", "Mixture log density, linear experts", "T.1 T.2 T.3 T.4",
     "logp = logsumexp_i(ln pi_i(x) + ln N(y; <a_i,x> + b_i, nu_i))", MODEL_SOURCE, DENSITY_CODE, linear_in,
     density_out, linear_param, linear_cases, model_check, density_forward, density_vjp},
    {"convergence.density.hidden", "Mixture log density, experts with one hidden layer", "T.1 T.2 T.3 T.4",
     "as convergence.density with the means <v_i, phi(w_i x + c_i)> + b_i", MODEL_SOURCE, DENSITY_CODE, hidden_in,
     density_out, hidden_param, hidden_cases, model_check, density_forward, density_vjp},
    {"convergence.loglik", "Log-likelihood, linear experts", "T.5", "loglik = (1/n) sum_t ln p(y_t|x_t)", MODEL_SOURCE,
     LOGLIK_CODE, linear_in, loglik_out, linear_param, linear_cases, model_check, loglik_forward, loglik_vjp},
    {"convergence.loglik.hidden", "Log-likelihood, experts with one hidden layer", "T.5",
     "loglik = (1/n) sum_t ln p(y_t|x_t)", MODEL_SOURCE, LOGLIK_CODE, hidden_in, loglik_out, hidden_param, hidden_cases,
     model_check, loglik_forward, loglik_vjp},
    {"convergence.hvp", "Hessian of the log-likelihood times a vector, linear experts", "T.6",
     "h = d/de grad loglik(theta + e v) at e = 0", "Pearlmutter 1994 (from memory), derived in spec T.6",
     "ref/convergence.c: smoe_mix_hvp", hvp_in, hvp_out, linear_param, hvp_cases, model_check, hvp_forward, hvp_vjp},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
