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

static bool has_parameter(const op_case *c, const char *name)
{
    const op_param *p = c->op->param;
    while (p && p->name && strcmp(p->name, name) != 0) p++;
    return p && p->name;
}

static smoe_mix_shape shape_of(const op_case *c)
{
    smoe_mix_shape s = {.gate = op_is(c, "gate", "norm")               ? SMOE_MIX_NORM
                                : op_is(c, "gate", "softplus")         ? SMOE_MIX_SOFTPLUS
                                : op_is(c, "gate", "softplus-softmax") ? SMOE_MIX_SOFTPLUS_SOFTMAX
                                                                       : SMOE_MIX_SOFTMAX};
    s.free_weights = op_is(c, "free", "yes");
    s.k = op_dim(c, 'N');
    s.d = op_dim(c, 'd');
    s.topk = has_parameter(c, "k") ? (size_t)op_int(c, "k") : 0;
    if (!is_hidden(c)) return s;
    s.H = op_dim(c, 'H');
    s.expert = op_is(c, "activation", "tanh")   ? SMOE_MIX_TANH
               : op_is(c, "activation", "gelu") ? SMOE_MIX_GELU
                                                : SMOE_MIX_SIGMOID;
    return s;
}

static const char *model_check(const op_case *c)
{
    const long N = (long)op_dim(c, 'N'), k = has_parameter(c, "k") ? op_int(c, "k") : 1;
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
    if (status == SMOE_OK && !smoe_all_finite(n * s->k, score)) status = SMOE_EOVRFLW;
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

/* Constant experts, the larger the score the smaller the free weight: which is added after the choice. */
static void fill_after(op_case *c, op_rng *r)
{
    fill_model(c, r);
    const char *slopes = is_hidden(c) ? "v" : "a";
    const size_t N = op_dim(c, 'N');
    memset(op_in(c, slopes), 0, N * op_dim(c, is_hidden(c) ? 'H' : 'd') * sizeof(double));
    for (size_t i = 0; i < N; i++) {
        op_in(c, "b")[i] = i % 2 ? 2 + (double)i : -2 - (double)i;
        op_in(c, "beta0")[i] = -2 * (double)i;
    }
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
    {"top2-softmax", "core", "n=5,N=4,d=3", "gate=softmax,k=2", "", "top K inside the softmax", fill_apart},
    {"after-free", "core,adversarial", "n=4,N=4,d=2", "k=2", "TopKAfterFree", "free weights are added after the choice",
     fill_after},
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
    {"sigmoid", "core,adversarial", "n=5,N=3,d=2,H=3", "activation=sigmoid,gate=softplus-softmax,k=3", "", "sigmoid",
     fill_model},
    {"softmax", "core,adversarial", "n=5,N=3,d=2,H=3", "gate=softmax,free=no,k=3", "", "the ordinary gate", fill_model},
    {"top2", "core,adversarial", "n=5,N=3,d=2,H=3", "gate=softmax,k=2", "", "two of three atoms", fill_model},
    {"after-free", "core,adversarial", "n=4,N=3,d=2,H=2", "k=1", "TopKAfterFree",
     "free weights are added after the choice", fill_after},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

static const op_spec hvp_cases[] = {
    {"small", "smoke", "n=3,N=2,d=1", "", "", "first look: two atoms, one dimension", fill_model},
    {"softmax", "smoke", "n=3,N=2,d=2", "gate=softmax", "", "the ordinary gate", fill_model},
    {"norm", "core", "n=6,N=3,d=2", "k=3", "", "version 1, all atoms", fill_model},
    {"softplus", "core", "n=6,N=3,d=2", "gate=softplus,k=3", "HvpNoSecond", "version 2 as the algorithm weighs",
     fill_model},
    {"softplus-softmax", "core,adversarial", "n=6,N=3,d=2", "gate=softplus-softmax,k=3", "",
     "version 2 through a softmax", fill_model},
    {"softmax-gate", "core,adversarial", "n=6,N=3,d=2", "gate=softmax,k=3", "", "the ordinary gate, all atoms",
     fill_model},
    {"no-free", "core,adversarial", "n=6,N=3,d=2", "free=no,k=3", "FreeWeightDropped", "no free weights", fill_model},
    {"top2", "core", "n=5,N=4,d=3", "k=2", "", "two of four atoms, scores apart", fill_apart},
    {"after-free", "core", "n=4,N=4,d=2", "k=2", "TopKAfterFree", "free weights are added after the choice",
     fill_after},
    {"one", "core", "n=4,N=1,d=2", "k=1", "HvpGaussNewton", "one atom: a regression", fill_model},
    {"kink", "adversarial", "n=3,N=2,d=2", "k=2", "", "|h| at 0", fill_kink},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- convergence.sample ------------------------------------------------------------------------------------------- */

#define GIVEN_MODEL                                                                                                    \
    {"a", "N,d", OP_INPUT, 0, "slopes of the experts"}, {"b", "N", OP_INPUT, 0, "intercepts of the experts"},          \
        {"nu", "N", OP_INPUT, 0, "variances of the atoms, above 0"},                                                   \
        {"beta0", "N", OP_INPUT, 0, "logs of the free weights; unused if free=no"},                                    \
        {"beta1", "N,d", OP_INPUT, 0, "slopes of the softmax gate; unused under other gates"},                         \
    {                                                                                                                  \
        NULL, NULL, OP_INPUT, 0, NULL                                                                                  \
    }
#define ALL_ATOMS                                                                                                      \
    {"gate", OP_CHOICE, "norm|softplus|softplus-softmax|softmax",                                                      \
     "the score that competes: |h|, ln softplus(h), softplus(h), or a gate of its own <beta1, x>"},                    \
        {"free", OP_CHOICE, "yes|no", "whether e^beta0 multiplies an atom's weight"},                                  \
    {                                                                                                                  \
        NULL, OP_INT, NULL, NULL                                                                                       \
    }

static const op_tensor sample_in[] = {
    {"x", "n,d", OP_INPUT, 0, "what the outcomes are drawn at"},
    {"u", "n", OP_INPUT, 0, "uniform draws in [0,1): they pick the atom"},
    {"z", "n", OP_INPUT, 0, "standard normal draws"},
    GIVEN_MODEL,
};
static const op_tensor sample_out[] = {
    {"y", "n", OP_BOUNDED, 0, "outcomes: mean of the atom + deviation times z"},
    {"margin", "n", OP_STAGE, OP_MARGIN, "distance of u to the nearest boundary between atoms"},
    {"label", "n,1", OP_DECISION, OP_I64 | OP_OPTIONAL, "the atom in whose share of [0,1) u falls"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param all_atoms_param[] = {ALL_ATOMS};

static smoe_status sample_forward(op_case *c)
{
    const smoe_mix_shape s = shape_of(c);
    const size_t n = op_dim(c, 'n');
    double *theta = theta_of(c, &s), *work = op_room(smoe_mix_work(&s), sizeof *work);
    size_t *label = op_room(n, sizeof *label);
    const smoe_status status = smoe_mix_sample(&s, n, theta, op_in(c, "x"), op_in(c, "u"), op_in(c, "z"), work, label,
                                               op_out(c, "margin"), op_out(c, "y"));
    if (status == SMOE_OK) op_write_index(c, "label", n, label);
    free(theta);
    free(work);
    free(label);
    return status;
}

/* Uniform draws on a grid of 1/256 that every format holds. */
static void fill_sample(op_case *c, op_rng *r)
{
    fill_model(c, r);
    for (size_t t = 0; t < op_dim(c, 'n'); t++) op_in(c, "u")[t] = (double)op_below(r, 256) / 256;
}

/* Two atoms of equal weight, u a quarter and three quarters, and on the boundary. */
static void fill_boundary(op_case *c, op_rng *r)
{
    fill_model(c, r);
    memset(op_in(c, "a"), 0, op_dim(c, 'N') * op_dim(c, 'd') * sizeof(double));
    for (size_t i = 0; i < op_dim(c, 'N'); i++) {
        op_in(c, "b")[i] = i % 2 ? -2 : 2;
        op_in(c, "beta0")[i] = 0;
    }
    for (size_t t = 0; t < op_dim(c, 'n'); t++) op_in(c, "u")[t] = 0.25 * (double)(t % 4);
}

/* The same with free weights that give the first atom e^4 / (e^4 + 1) = 0.98 of [0,1): every u falls there. */
static void fill_heavy(op_case *c, op_rng *r)
{
    fill_boundary(c, r);
    op_in(c, "beta0")[0] = 4;
}

static const op_spec sample_cases[] = {
    {"small", "smoke", "n=3,N=2,d=1", "", "", "first look", fill_sample},
    {"norm", "core", "n=16,N=3,d=2", "", "SampleNuIsSigma", "version 1", fill_sample},
    {"softplus", "core", "n=16,N=3,d=2", "gate=softplus", "", "version 2", fill_sample},
    {"softplus-softmax", "core", "n=16,N=3,d=2", "gate=softplus-softmax", "", "version 2 through a softmax",
     fill_sample},
    {"softmax", "core", "n=16,N=3,d=2", "gate=softmax", "", "the ordinary gate", fill_sample},
    {"no-free", "core", "n=16,N=3,d=2", "free=no", "FreeWeightDropped", "no free weights", fill_sample},
    {"boundary", "adversarial", "n=4,N=2,d=1", "", "ties", "u on the boundary takes the upper atom", fill_boundary},
    {"heavy", "adversarial", "n=4,N=2,d=1", "", "FreeWeightDropped", "the free weights decide on the atom", fill_heavy},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- convergence.distance ----------------------------------------------------------------------------------------- */

static const op_tensor distance_in[] = {
    {"x", "n,d", OP_INPUT, 0, "where the conditional densities are compared"},
    {"a", "N,d", OP_INPUT, 0, "p: slopes of the experts"},
    {"b", "N", OP_INPUT, 0, "p: intercepts"},
    {"nu", "N", OP_INPUT, 0, "p: variances, above 0"},
    {"beta0", "N", OP_INPUT, 0, "p: logs of the free weights; unused if free=no"},
    {"beta1", "N,d", OP_INPUT, 0, "p: slopes of the softmax gate; unused under other gates"},
    {"qa", "S,d", OP_INPUT, 0, "q: slopes of the experts"},
    {"qb", "S", OP_INPUT, 0, "q: intercepts"},
    {"qnu", "S", OP_INPUT, 0, "q: variances, above 0"},
    {"qbeta0", "S", OP_INPUT, 0, "q: logs of the free weights"},
    {"qbeta1", "S,d", OP_INPUT, 0, "q: slopes of the softmax gate"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor distance_out[] = {
    {"tv", "", OP_BOUNDED, 0, "mean over x of V = 1/2 int |p - q| dy"},
    {"hellinger", "", OP_BOUNDED, 0, "root of the mean over x of h^2 = 1/2 int (sqrt p - sqrt q)^2 dy"},
    {"variation", "n", OP_STAGE, 0, "V at each x"},
    {"square", "n", OP_STAGE, 0, "h^2 at each x"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};

static const char *distance_check(const op_case *c)
{
    return op_dim(c, 'S') < 1 ? "S must be at least 1: there is no atom" : model_check(c);
}

static smoe_status distance_forward(op_case *c)
{
    const smoe_mix_shape p = shape_of(c);
    smoe_mix_shape q = p;
    q.k = op_dim(c, 'S');
    double *theta_p = theta_of(c, &p), *theta_q = vector_of(c, &q, op_in, "q");
    double *work = op_room(smoe_mix_distance_work(&p, &q), sizeof *work);
    const smoe_status status =
        smoe_mix_distance(&p, theta_p, &q, theta_q, op_dim(c, 'n'), op_in(c, "x"), work, op_out(c, "variation"),
                          op_out(c, "square"), NULL, op_out(c, "tv"), op_out(c, "hellinger"));
    free(theta_p);
    free(theta_q);
    free(work);
    return status;
}

/* Two unrelated models. */
static void fill_pair(op_case *c, op_rng *r)
{
    fill_model(c, r);
    for (size_t i = 0; i < op_dim(c, 'S'); i++)
        op_in(c, "qnu")[i] = op_representable(0.25 + 0.125 * (double)op_below(r, 13));
}

/* q's atoms are p's in turn. */
static void fill_same(op_case *c, op_rng *r)
{
    const char *const names[] = {"a", "b", "nu", "beta0", "beta1"};
    const size_t N = op_dim(c, 'N'), S = op_dim(c, 'S'), d = op_dim(c, 'd');
    fill_pair(c, r);
    for (size_t j = 0; j < 5; j++) {
        char name[16];
        const size_t width = strcmp(names[j], "a") == 0 || strcmp(names[j], "beta1") == 0 ? d : 1;
        const double *from = op_in(c, names[j]);
        double *to = op_in(c, prefixed(name, "q", names[j]));
        for (size_t i = 0; i < S; i++) memcpy(to + i * width, from + i % N * width, width * sizeof *to);
    }
}

/* An estimate near the truth: intercepts and variances a few hundredths off. */
static void fill_near_pair(op_case *c, op_rng *r)
{
    fill_same(c, r);
    for (size_t i = 0; i < op_dim(c, 'S'); i++) {
        op_in(c, "qb")[i] = op_representable(op_in(c, "b")[i] + 0x1p-6 * ((double)op_below(r, 7) - 3));
        op_in(c, "qnu")[i] = op_representable(op_in(c, "nu")[i] * (1 + 0x1p-6 * ((double)op_below(r, 7) - 3)));
    }
}

/* One Gaussian each, N(0, 1) and N(4x, 1): h is 0 at x = 0 and near 1 at the last, and no parameter is rounded. */
static void fill_fan(op_case *c, op_rng *r)
{
    fill_same(c, r);
    for (size_t t = 0; t < op_dim(c, 'n'); t++) op_in(c, "x")[t] = 0.5 * (double)t;
    *op_in(c, "a") = *op_in(c, "b") = *op_in(c, "qb") = 0;
    *op_in(c, "beta1") = *op_in(c, "qbeta1") = 0;
    *op_in(c, "nu") = *op_in(c, "qnu") = 1;
    *op_in(c, "qa") = 4;
}

/* The same two constant experts, -4 and 4, in shares of a half and with free weights of e^3 and e^-3. */
static void fill_weights(op_case *c, op_rng *r)
{
    fill_same(c, r);
    const char *const slopes[] = {"a", "qa"};
    for (size_t j = 0; j < 2; j++) memset(op_in(c, slopes[j]), 0, 2 * op_dim(c, 'd') * sizeof(double));
    for (size_t i = 0; i < 2; i++) {
        op_in(c, "b")[i] = op_in(c, "qb")[i] = i ? 4 : -4;
        op_in(c, "nu")[i] = op_in(c, "qnu")[i] = 1;
        op_in(c, "beta0")[i] = 0;
        op_in(c, "qbeta0")[i] = i ? 3 : -3;
    }
}

/* Means 64 apart: nothing in common. */
static void fill_disjoint(op_case *c, op_rng *r)
{
    fill_pair(c, r);
    for (size_t i = 0; i < op_dim(c, 'S'); i++) op_in(c, "qb")[i] = 64;
    memset(op_in(c, "qa"), 0, op_dim(c, 'S') * op_dim(c, 'd') * sizeof(double));
}

/* Deviations of 1/32 beside ones of 2: a quadrature with too few points steps over the narrow atoms. */
static void fill_narrow(op_case *c, op_rng *r)
{
    fill_pair(c, r);
    for (size_t i = 0; i < op_dim(c, 'N'); i++) op_in(c, "nu")[i] = i % 2 ? 4 : 0x1p-10;
    for (size_t i = 0; i < op_dim(c, 'S'); i++) op_in(c, "qnu")[i] = i % 2 ? 0x1p-10 : 4;
}

static const op_spec distance_cases[] = {
    {"small", "smoke", "n=2,N=2,S=2,d=1", "", "TvNoHalf", "first look: two atoms each", fill_pair},
    {"gaussians", "smoke", "n=2,N=1,S=1,d=1", "", "HellingerSquared", "one Gaussian each: closed forms", fill_pair},
    {"norm", "core", "n=3,N=3,S=2,d=2", "", "", "version 1, three atoms against two", fill_pair},
    {"softplus", "core", "n=2,N=2,S=3,d=2", "gate=softplus", "", "version 2 as the algorithm weighs", fill_pair},
    {"softplus-softmax", "core", "n=2,N=2,S=2,d=2", "gate=softplus-softmax", "", "version 2 through a softmax",
     fill_pair},
    {"softmax", "core", "n=2,N=3,S=3,d=2", "gate=softmax", "", "the ordinary gate", fill_pair},
    {"no-free", "core", "n=2,N=2,S=2,d=2", "free=no", "FreeWeightDropped", "no free weights", fill_pair},
    {"fan", "core,adversarial", "n=5,N=1,S=1,d=1", "gate=softmax,free=no", "HellingerMeanOfRoots",
     "a distance that x decides on", fill_fan},
    {"weights", "core,adversarial", "n=1,N=2,S=2,d=1", "", "FreeWeightDropped",
     "models that differ in their weights alone", fill_weights},
    {"near", "core", "n=2,N=2,S=2,d=1", "gate=softplus", "", "an estimate near the truth", fill_near_pair},
    {"same", "adversarial", "n=2,N=2,S=2,d=1", "", "", "one model twice: 0", fill_same},
    {"split", "adversarial", "n=2,N=2,S=4,d=2", "", "", "every atom twice: the same measure, so 0", fill_same},
    {"disjoint", "adversarial", "n=2,N=2,S=2,d=1", "", "", "nothing in common: 1", fill_disjoint},
    {"narrow", "adversarial", "n=2,N=2,S=2,d=1", "", "", "narrow atoms among wide ones", fill_narrow},
    {"many", "large", "n=4,N=6,S=8,d=8", "", "", "models of some size", fill_pair},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- convergence.voronoi ------------------------------------------------------------------------------------------ */

static const op_tensor voronoi_in[] = {
    {"atoms", "S,d", OP_INPUT, 0, "estimated atoms: slopes, then intercept, then variance, in any normal form"},
    {"truth", "N,d", OP_INPUT, 0, "true atoms"},
    {"beta0", "S", OP_INPUT, 0, "logs of the estimated weights"},
    {"beta0star", "N", OP_INPUT, 0, "logs of the true weights"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor voronoi_out[] = {
    {"exact", "", OP_BOUNDED, 0, "D1: errors of the weights, and weighted distances"},
    {"over", "", OP_BOUNDED, 0, "D2: with powers where a cell has several atoms"},
    {"margin", "S", OP_STAGE, OP_MARGIN, "second least distance less the least"},
    {"cell", "S,1", OP_DECISION, OP_I64 | OP_OPTIONAL, "the nearest true atom of each"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param voronoi_param[] = {
    {"powers", OP_CHOICE, "cell|fixed", "(2, r, r/2) with r = 4 and 6 for cells of 2 and 3 atoms; or the ones below"},
    {"slope", OP_REAL, "2", "power of the slopes' error if powers=fixed"},
    {"intercept", OP_REAL, "4", "of the intercept's"},
    {"variance", OP_REAL, "2", "of the variance's"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *voronoi_check(const op_case *c)
{
    if (op_dim(c, 'N') < 1 || op_dim(c, 'S') < 1) return "N and S must be at least 1: there is no atom";
    if (op_dim(c, 'd') < 3) return "d must be at least 3: a slope, an intercept, a variance";
    const bool good = op_real(c, "slope") > 0 && op_real(c, "intercept") > 0 && op_real(c, "variance") > 0;
    return good ? NULL : "powers must be above 0";
}

static smoe_status voronoi_forward(op_case *c)
{
    const size_t k = op_dim(c, 'S'), kstar = op_dim(c, 'N'), d = op_dim(c, 'd'), width[] = {d - 2, 1, 1};
    const double *atoms = op_in(c, "atoms"), *truth = op_in(c, "truth"), *b = op_in(c, "beta0");
    const double *star = op_in(c, "beta0star"), by_cell[] = {2, 0, 0}, times[] = {0, 1, 0.5}, none[] = {0, 0, 0};
    const double fixed[] = {op_real(c, "slope"), op_real(c, "intercept"), op_real(c, "variance")};
    const bool cell_powers = op_is(c, "powers", "cell");
    double *work = op_room(d, sizeof *work);
    size_t *cell = op_room(k, sizeof *cell);
    smoe_status status = smoe_voronoi_cells(k, kstar, d, atoms, truth, work, cell, op_out(c, "margin"));
    if (status == SMOE_OK)
        status = smoe_voronoi_exact(k, kstar, d, atoms, truth, b, star, cell, work, op_out(c, "exact"));
    if (status == SMOE_OK)
        status = smoe_voronoi_over(k, kstar, d, atoms, truth, b, star, cell, 3, width, cell_powers ? by_cell : fixed,
                                   cell_powers ? times : none, work, op_out(c, "over"));
    if (status == SMOE_OK) op_write_index(c, "cell", k, cell);
    free(work);
    free(cell);
    return status;
}

/* True atoms four apart along the first slope, estimates within one half of them, in turn. */
static void fill_near_truth(op_case *c, op_rng *r)
{
    const size_t k = op_dim(c, 'S'), kstar = op_dim(c, 'N'), d = op_dim(c, 'd');
    op_fill_default(c, r);
    for (size_t j = 0; j < kstar; j++) op_in(c, "truth")[j * d] = 4 * (double)j;
    for (size_t i = 0; i < k; i++)
        for (size_t l = 0; l < d; l++)
            op_in(c, "atoms")[i * d + l] =
                op_representable(op_in(c, "truth")[i % kstar * d + l] + 0.0625 * ((double)op_below(r, 17) - 8));
}

/* The middle between two true atoms: the lower one has it. */
static void fill_middle(op_case *c, op_rng *r)
{
    fill_near_truth(c, r);
    const size_t d = op_dim(c, 'd');
    for (size_t l = 1; l < d; l++) op_in(c, "truth")[d + l] = op_in(c, "truth")[l];
    memcpy(op_in(c, "atoms"), op_in(c, "truth"), d * sizeof(double));
    op_in(c, "atoms")[0] = 2;
}

static const op_spec voronoi_cases[] = {
    {"small", "smoke", "N=2,S=2,d=3", "", "", "first look: one atom a cell", fill_near_truth},
    {"exact", "core", "N=3,S=3,d=4", "", "VoronoiUnweighted", "exact-specified", fill_near_truth},
    {"over", "core", "N=2,S=5,d=4", "", "VoronoiNoPowers", "cells of three and two atoms", fill_near_truth},
    {"fixed", "core,adversarial", "N=2,S=4,d=3", "powers=fixed,intercept=2,variance=1", "LastAtomZero",
     "powers (2, 2, 1)", fill_near_truth},
    {"empty", "core", "N=3,S=1,d=3", "", "", "two cells without an atom", fill_near_truth},
    {"middle", "adversarial", "N=2,S=2,d=3", "", "ties", "an atom between two true ones", fill_middle},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- convergence.em ----------------------------------------------------------------------------------------------- */

static const op_tensor em_in[] = {
    {"x", "n,d", OP_INPUT, 0, "what the density is conditional on"},
    {"y", "n", OP_INPUT, 0, "outcomes"},
    GIVEN_MODEL,
};
static const op_tensor em_out[] = {
    {"q", "n,N", OP_BOUNDED, 0, "responsibilities"},
    {"loglik", "", OP_BOUNDED, 0, "log-likelihood where they are taken"},
    {"da", "N,d", OP_BOUNDED, 0, "direction of the experts' step, before any halving"},
    {"db", "N", OP_BOUNDED, 0, "its part for the intercepts"},
    {"variance", "N", OP_BOUNDED, 0, "the variances' step about the lines moved by all of it, with no lower limit"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};

static const char *em_check(const op_case *c)
{
    return op_dim(c, 'n') < op_dim(c, 'd') + 2 ? "n must be at least d + 2: fewer samples determine nothing"
                                               : model_check(c);
}

static smoe_status em_forward(op_case *c)
{
    const smoe_mix_shape s = shape_of(c);
    const size_t n = op_dim(c, 'n'), d = s.d;
    const double *x = op_in(c, "x"), *y = op_in(c, "y");
    double *theta = theta_of(c, &s), *work = op_room(smoe_mix_em_work(&s), sizeof *work);
    double *direction = op_room(s.k * (d + 1), sizeof *direction), *q = op_out(c, "q");
    smoe_status status = smoe_mix_responsibilities(&s, n, theta, x, y, work, q, op_out(c, "loglik"));
    if (status == SMOE_OK) status = smoe_mix_em_direction(&s, n, theta, x, y, q, work, direction);
    for (size_t i = 0; i < s.k && status == SMOE_OK; i++) {
        memcpy(op_out(c, "da") + i * d, direction + i * (d + 1), d * sizeof(double));
        op_out(c, "db")[i] = direction[i * (d + 1) + d];
        for (size_t l = 0; l <= d; l++) theta[i * smoe_mix_stride(&s) + l] += direction[i * (d + 1) + l];
    }
    if (status == SMOE_OK) status = smoe_mix_em_variances(&s, n, theta, x, y, q, op_out(c, "variance"));
    free(theta);
    free(work);
    free(direction);
    return status;
}

/* The corners of a square, which no line fits better than 0: the variance is 1, over degrees of freedom 2. */
static void fill_square(op_case *c, op_rng *r)
{
    fill_model(c, r);
    *op_in(c, "a") = *op_in(c, "b") = *op_in(c, "beta0") = *op_in(c, "beta1") = 0;
    *op_in(c, "nu") = 1;
    for (size_t t = 0; t < 4; t++) {
        op_in(c, "x")[t] = t % 2 ? 1 : -1;
        op_in(c, "y")[t] = t < 2 ? 1 : -1;
    }
}

static const op_spec em_cases[] = {
    {"small", "smoke", "n=6,N=2,d=1", "", "", "first look", fill_model},
    {"norm", "core", "n=12,N=2,d=2", "", "EmIgnoresGate", "version 1: the gate pulls at the experts", fill_model},
    {"softplus", "core", "n=12,N=3,d=1", "gate=softplus", "", "version 2", fill_model},
    {"softplus-softmax", "core", "n=12,N=2,d=2", "gate=softplus-softmax", "", "version 2 through a softmax",
     fill_model},
    {"softmax", "core", "n=12,N=2,d=2", "gate=softmax", "ResponsibilityNoGate", "weighted least squares", fill_model},
    {"no-free", "core,adversarial", "n=12,N=2,d=2", "free=no", "FreeWeightDropped", "no free weights", fill_model},
    {"one", "core", "n=6,N=1,d=2", "", "", "one atom: least squares", fill_model},
    {"square", "core,adversarial", "n=4,N=1,d=1", "gate=softmax", "EmUnbiasedVariance",
     "residuals of 1 on two degrees of freedom", fill_square},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- convergence.oracle ------------------------------------------------------------------------------------------- */

static const op_tensor oracle_in[] = {
    {"x", "n,d", OP_INPUT, 0, "regressors"},
    {"y", "n", OP_INPUT, 0, "outcomes"},
    {"label", "n", OP_INPUT, OP_I64, "the atom of each sample, below the number of experts"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor oracle_out[] = {
    {"a", "N,d", OP_BOUNDED, 0, "slopes by least squares over an atom's own samples"},
    {"b", "N", OP_BOUNDED, 0, "intercepts"},
    {"nu", "N", OP_BOUNDED, 0, "mean squares of the residuals"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param oracle_param[] = {{"experts", OP_INT, "2", "atoms"}, {NULL, OP_INT, NULL, NULL}};

static const char *oracle_check(const op_case *c)
{
    if (op_int(c, "experts") < 1) return "experts must be at least 1";
    if (op_dim(c, 'd') < 1) return "d must be at least 1";
    const size_t least = (size_t)op_int(c, "experts") * (op_dim(c, 'd') + 2);
    return op_dim(c, 'n') < least ? "n must be at least experts times d + 2: fewer samples determine nothing" : NULL;
}

static smoe_status oracle_forward(op_case *c)
{
    const size_t n = op_dim(c, 'n'), d = op_dim(c, 'd'), N = (size_t)op_int(c, "experts");
    double *work = op_room((d + 1) * (d + 3), sizeof *work), *eta = op_room(N * (d + 2), sizeof *eta);
    size_t *label = op_room(n, sizeof *label);
    for (size_t t = 0; t < n; t++) {
        const int64_t l = op_in_i64(c, "label")[t];
        label[t] = l < 0 ? SIZE_MAX : (size_t)l; /* beyond every atom: SMOE_EDOM */
    }
    const smoe_status status = smoe_oracle(n, N, d, op_in(c, "x"), op_in(c, "y"), label, work, eta);
    for (size_t i = 0; i < N && status == SMOE_OK; i++) {
        memcpy(op_out(c, "a") + i * d, eta + i * (d + 2), d * sizeof(double));
        op_out(c, "b")[i] = eta[i * (d + 2) + d];
        op_out(c, "nu")[i] = eta[i * (d + 2) + d + 1];
    }
    free(work);
    free(eta);
    free(label);
    return status;
}

/* Atoms in turn. */
static void fill_oracle(op_case *c, op_rng *r)
{
    op_fill_default(c, r);
    for (size_t t = 0; t < op_dim(c, 'n'); t++) op_in_i64(c, "label")[t] = (int64_t)t % op_int(c, "experts");
}

/* The same, and x far from 0: means are taken before products. */
static void fill_far_x(op_case *c, op_rng *r)
{
    fill_oracle(c, r);
    for (size_t t = 0; t < op_dim(c, 'n') * op_dim(c, 'd'); t++)
        op_in(c, "x")[t] = 32 + 0.25 * (double)((int)op_below(r, 33) - 16);
}

static const op_spec oracle_cases[] = {
    {"small", "smoke", "n=8,d=1", "", "", "first look", fill_oracle},
    {"plane", "core,adversarial", "n=24,d=2", "experts=3", "OracleUnbiased", "three atoms, two regressors",
     fill_oracle},
    {"one", "core", "n=9,d=3", "experts=1", "", "one atom: least squares", fill_oracle},
    {"far", "adversarial", "n=16,d=1", "", "", "x far from 0", fill_far_x},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- convergence.identifiability ---------------------------------------------------------------------------------- */

static const op_tensor rank_in[] = {
    {"x", "n,d", OP_INPUT, 0, "sample points"},
    {"w", "N,d", OP_INPUT, 0, "weights of single units"},
    {"c", "N", OP_INPUT, 0, "their biases"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor rank_out[] = {
    {"value", "n,N", OP_BOUNDED, 0, "phi(w'x + c)"},
    {"slope", "n,N", OP_BOUNDED, 0, "its derivative by c"},
    {"slopes", "n,N,d", OP_BOUNDED, 0, "by w"},
    {"bend", "n,N", OP_BOUNDED, 0, "second derivative by c"},
    {"bends", "n,N,d", OP_BOUNDED, 0, "by c and w"},
    {"hessian", "n,N,d,d", OP_BOUNDED, 0, "by w twice"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param rank_param[] = {
    {"activation", OP_CHOICE, "tanh|gelu|sigmoid|linear", "phi"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *rank_check(const op_case *c)
{
    if (op_dim(c, 'N') < 1 || op_dim(c, 'n') < 1) return "N and n must be at least 1";
    return op_dim(c, 'd') < 1 ? "d must be at least 1" : NULL;
}

/* One atom's columns at one point, to where the tensors have them: element e = t N + i. */
static void spread(op_case *c, size_t d, size_t e, const double *row)
{
    const double *first = row + 1, *second = first + d + 1;
    op_out(c, "value")[e] = row[0];
    op_out(c, "slope")[e] = first[d];
    for (size_t l = 0; l < d; l++) op_out(c, "slopes")[e * d + l] = first[l];
    for (size_t l = 0; l <= d; l++)
        for (size_t m = l; m <= d; m++, second++) {
            if (l == d)
                op_out(c, "bend")[e] = *second;
            else if (m == d)
                op_out(c, "bends")[e * d + l] = *second;
            else
                op_out(c, "hessian")[(e * d + l) * d + m] = op_out(c, "hessian")[(e * d + m) * d + l] = *second;
        }
}

static smoe_status rank_forward(op_case *c)
{
    const size_t n = op_dim(c, 'n'), N = op_dim(c, 'N'), d = op_dim(c, 'd'), r = smoe_identifiability_columns(d);
    const smoe_mix_expert phi = op_is(c, "activation", "tanh")      ? SMOE_MIX_TANH
                                : op_is(c, "activation", "gelu")    ? SMOE_MIX_GELU
                                : op_is(c, "activation", "sigmoid") ? SMOE_MIX_SIGMOID
                                                                    : SMOE_MIX_LINEAR;
    double *M = op_room(n * N * r, sizeof *M);
    const smoe_status status =
        smoe_identifiability_matrix(phi, N, d, n, op_in(c, "w"), op_in(c, "c"), op_in(c, "x"), M);
    for (size_t e = 0; e < n * N && status == SMOE_OK; e++) spread(c, d, e, M + e * r);
    free(M);
    return status;
}

static const op_spec rank_cases[] = {
    {"small", "smoke", "n=3,N=2,d=1", "", "", "first look", NULL},
    {"tanh", "core", "n=6,N=2,d=2", "", "", "tanh", NULL},
    {"gelu", "core", "n=6,N=2,d=2", "activation=gelu", "", "GELU", NULL},
    {"sigmoid", "core", "n=6,N=2,d=2", "activation=sigmoid", "", "sigmoid", NULL},
    {"linear", "core", "n=4,N=2,d=2", "activation=linear", "", "second derivatives are 0", NULL},
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
    {"convergence.sample", "Sampling from a mixture", "T.7",
     "y = h_l(x) + sqrt(nu_l) z,  l the atom in whose share u is", "textbook; draws as inputs by N.6",
     "ref/convergence.c: smoe_mix_sample", sample_in, sample_out, all_atoms_param, sample_cases, model_check,
     sample_forward, NULL},
    {"convergence.distance", "Total variation and Hellinger distance of two mixtures", "T.8",
     "tv = (1/n) sum_t V(x_t), V = 1/2 int |p - q| dy;  hellinger = sqrt((1/n) sum_t 1/2 int (sqrt p - sqrt q)^2 dy)",
     "definitions as in the authors' other papers (from memory); spec T.8", "ref/convergence.c: smoe_mix_distance",
     distance_in, distance_out, all_atoms_param, distance_cases, distance_check, distance_forward, NULL},
    {"convergence.voronoi", "Voronoi losses", "T.9 T.10 T.11",
     "exact = sum_j |sum_Aj e^beta0 - e^beta0*_j| + sum e^beta0_i |theta_i - theta*_j|;  over: with powers in shared "
     "cells",
     "FuseMoE (arXiv 2402.03226; text seen); orders 4 and 6: Ho and Nguyen 2016 (from memory), 4 derived in spec T.11",
     "ref/convergence.c: smoe_voronoi_cells, smoe_voronoi_exact, smoe_voronoi_over", voronoi_in, voronoi_out,
     voronoi_param, voronoi_cases, voronoi_check, voronoi_forward, NULL},
    {"convergence.em", "EM: responsibilities, the experts' direction, variances", "T.12",
     "q = softmax(t);  direction = nu (sum q x~x~')^-1 sum dh x~;  variance = sum q r^2 / sum q",
     "Jordan and Jacobs 1994 (from memory); spec T.12",
     "ref/convergence.c: smoe_mix_responsibilities, smoe_mix_em_direction, smoe_mix_em_variances", em_in, em_out,
     all_atoms_param, em_cases, em_check, em_forward, NULL},
    {"convergence.oracle", "Least squares with the labels known", "T.13",
     "a, b, nu of each atom by least squares over its own samples", "textbook; what the optimum means: spec T.13",
     "ref/convergence.c: smoe_oracle", oracle_in, oracle_out, oracle_param, oracle_cases, oracle_check, oracle_forward,
     NULL},
    {"convergence.identifiability", "Derivatives for strong identifiability", "T.14",
     "orders 0 to 2 of phi(w'x + c) by (w, c)", "Nguyen, Ho, Rinaldo 2024 (arXiv 2402.02952; abstract seen)",
     "ref/convergence.c: smoe_identifiability_matrix", rank_in, rank_out, rank_param, rank_cases, rank_check,
     rank_forward, NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
