/* Operations of chapter N: spec/00-numerics.md. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "op.h"

/* n zeroed indices; never NULL. */
static size_t *indices(size_t n)
{
    size_t *p = calloc(n ? n : 1, sizeof *p);
    if (!p) {
        fprintf(stderr, "smoeref: out of memory\n");
        abort();
    }
    return p;
}

#define END_TENSOR                                                                                                     \
    {                                                                                                                  \
        NULL, NULL, OP_INPUT, 0, NULL                                                                                  \
    }
#define END_CASE                                                                                                       \
    {                                                                                                                  \
        NULL, NULL, NULL, NULL, NULL, NULL, NULL                                                                       \
    }

/* --- functions of one number: x[n] -> y[n] ------------------------------------------------------------------------ */

typedef struct {
    const char *id;
    double (*f)(double), (*deriv)(double);
    double above; /* the domain: finite x above this */
    const double *points; /* arguments that tell formulas apart, up to NAN; each exact in bf16 and binary16 */
} function;

static const double exp_points[] = {0, -0.0, 1, -1, 0x1p-13, -0x1p-13, 10, -9.5, 0.40625, NAN};
static const double log_points[] = {1, 1.0078125, 0.99609375, 2, 0.5, 65024, 0x1p-13, 3, NAN};
static const double log1p_points[] = {0, -0.0, 0x1p-13, -0x1p-13, 1, -0.5, -0.99609375, 65024, 3, NAN};
static const double odd_points[] = {0, -0.0, 0x1p-13, -0x1p-13, 0.25, -0.5, 1, -2, 3, -5, 9, -40, NAN};
static const double erfc_points[] = {0, -0.0, 0x1p-13, 0.5, 1, 2, 3, 5, 9, -1, -3, -9, NAN};
static const double sigmoid_points[] = {0, -0.0, 1, -1, 8, -8, 20, -20, 80, -80, NAN};
static const double softplus_points[] = {0, -0.0, 1, -1, -20, -80, 19.875, 80, NAN};
static const double silu_points[] = {0, -0.0, -1.2734375, 1, -4, 20, -20, 80, -80, NAN};
static const double gelu_points[] = {0, -0.0, -0.75, 1, -2.5, 2.5, -4, -6, -8, 8, 40, -40, NAN};
static const double normal_points[] = {0, -0.0, 1, -1, 2, -4, 4, -8, 8, -12, 40, -40, NAN};

static const function functions[] = {
    {"numerics.exp", smoe_exp, smoe_exp_deriv, -INFINITY, exp_points},
    {"numerics.expm1", smoe_expm1, smoe_expm1_deriv, -INFINITY, exp_points},
    {"numerics.log", smoe_log, smoe_log_deriv, 0, log_points},
    {"numerics.log1p", smoe_log1p, smoe_log1p_deriv, -1, log1p_points},
    {"numerics.tanh", smoe_tanh, smoe_tanh_deriv, -INFINITY, odd_points},
    {"numerics.erf", smoe_erf, smoe_erf_deriv, -INFINITY, odd_points},
    {"numerics.erfc", smoe_erfc, smoe_erfc_deriv, -INFINITY, erfc_points},
    {"numerics.sigmoid", smoe_sigmoid, smoe_sigmoid_deriv, -INFINITY, sigmoid_points},
    {"numerics.softplus", smoe_softplus, smoe_softplus_deriv, -INFINITY, softplus_points},
    {"numerics.silu", smoe_silu, smoe_silu_deriv, -INFINITY, silu_points},
    {"numerics.gelu", smoe_gelu, smoe_gelu_deriv, -INFINITY, gelu_points},
    {"numerics.normal_cdf", smoe_normal_cdf, smoe_normal_cdf_deriv, -INFINITY, normal_points},
    {"numerics.normal_pdf", smoe_normal_pdf, smoe_normal_pdf_deriv, -INFINITY, normal_points},
};

static const function gelu_tanh = {"numerics.gelu", smoe_gelu_tanh, smoe_gelu_tanh_deriv, -INFINITY, gelu_points};

static const function *function_of(const op_case *c)
{
    size_t i = 0;
    while (strcmp(functions[i].id, c->op->id) != 0) i++;
    return functions[i].f == smoe_gelu && op_is(c, "approximate", "tanh") ? &gelu_tanh : &functions[i];
}

static const op_tensor function_in[] = {
    {"x", "n", OP_INPUT, OP_DIFF, "arguments"},
    END_TENSOR,
};
static const op_tensor function_out[] = {
    {"y", "n", OP_BOUNDED, OP_DIFF, "the function of each"},
    END_TENSOR,
};
static const op_param gelu_param[] = {
    {"approximate", OP_CHOICE, "none|tanh", "GELU itself, or its tanh form"},
    {NULL, OP_INT, NULL, NULL},
};

static smoe_status function_forward(op_case *c)
{
    const function *g = function_of(c);
    const size_t n = op_dim(c, 'n');
    const double *x = op_in(c, "x");
    double *y = op_out(c, "y");
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]) || !(x[i] > g->above)) return SMOE_EDOM;
    for (size_t i = 0; i < n; i++) y[i] = g->f(x[i]);
    return smoe_all_finite(n, y) ? SMOE_OK : SMOE_EOVRFLW;
}

static smoe_status function_vjp(op_case *c)
{
    const function *g = function_of(c);
    const size_t n = op_dim(c, 'n');
    const double *x = op_in(c, "x"), *dy = op_cot(c, "y");
    double *dx = op_grad(c, "x");
    if (!smoe_all_finite(n, dy)) return SMOE_EDOM;
    for (size_t i = 0; i < n; i++) dx[i] = dy[i] * g->deriv(x[i]);
    return smoe_all_finite(n, dx) ? SMOE_OK : SMOE_EOVRFLW;
}

/* Normals of deviation 2; for the logarithms, which need them on the right of a pole, uniform over four units. */
static void fill_domain(op_case *c, op_rng *r)
{
    const double above = function_of(c)->above;
    for (size_t i = 0; i < op_dim(c, 'n'); i++) {
        const double u = 4 * op_uniform(r) + 0x1p-7, z = 2 * op_normal(r);
        op_in(c, "x")[i] = op_representable(isfinite(above) ? above + u : z);
    }
}

/* The list, over and over. */
static void fill_list(op_case *c, const double *list)
{
    size_t length = 0;
    while (!isnan(list[length])) length++;
    for (size_t i = 0; i < op_dim(c, 'n'); i++) op_in(c, "x")[i] = list[i % length];
}

static void fill_points(op_case *c, op_rng *r)
{
    (void)r;
    fill_list(c, function_of(c)->points);
}

/* Near the left end of what the result's exponent can hold, and at the pole of log1p. */
static void fill_small(op_case *c, op_rng *r)
{
    for (size_t i = 0; i < op_dim(c, 'n'); i++) {
        const double significand = 1 + op_uniform(r); /* drawn first: the order of arguments is the compiler's */
        const double tiny = op_representable(ldexp(significand, -13 + (int)op_below(r, 4)));
        op_in(c, "x")[i] = function_of(c)->above == 0 || op_below(r, 2) ? tiny : -tiny;
    }
}

static void fill_beyond_20(op_case *c, op_rng *r)
{
    for (size_t i = 0; i < op_dim(c, 'n'); i++) op_in(c, "x")[i] = op_representable(20.125 + 4 * op_uniform(r));
}

static void fill_left(op_case *c, op_rng *r)
{
    for (size_t i = 0; i < op_dim(c, 'n'); i++) op_in(c, "x")[i] = op_representable(-2 - 3 * op_uniform(r));
}

static void fill_far_left(op_case *c, op_rng *r)
{
    for (size_t i = 0; i < op_dim(c, 'n'); i++) op_in(c, "x")[i] = op_representable(-6 - 3 * op_uniform(r));
}

/* clang-format off */
#define COMMON_CASES                                                                                                   \
    {"small", "smoke", "n=4", "", "", "a first look", fill_domain},                                                    \
    {"random", "core", "n=24", "", "", "arguments of ordinary size", fill_domain},                                     \
    {"one", "core", "n=1", "", "", "a single number", fill_domain},                                                    \
    {"none", "core", "n=0", "", "", "no number at all", fill_domain},                                                  \
    {"points", "adversarial", "n=12", "", "", "zeros of both signs, saturation, ends of binary16", fill_points},       \
    {"near-zero", "adversarial", "n=8", "", "Cancellation", "where a formula that subtracts loses digits", fill_small},\
    {"large", "large", "n=4096", "", "", "many arguments", fill_domain}
/* clang-format on */

static const op_spec function_cases[] = {COMMON_CASES, END_CASE};
static const op_spec softplus_cases[] = {COMMON_CASES,
                                         {"beyond-20", "adversarial", "n=8", "", "SoftplusThreshold",
                                          "20 < x < 25: the identity is off by e^-x, which binary64 sees",
                                          fill_beyond_20},
                                         END_CASE};
static const op_spec gelu_cases[] = {
    COMMON_CASES,
    {"random-tanh", "core", "n=24", "approximate=tanh", "", "the tanh form", fill_domain},
    {"points-tanh", "adversarial", "n=12", "approximate=tanh", "", "the same points for the tanh form", fill_points},
    {"left", "adversarial", "n=8", "", "GeluTanh", "between -5 and -2, where the two forms part", fill_left},
    {"left-tanh", "adversarial", "n=8", "approximate=tanh", "GeluErf", "the same for the tanh form", fill_left},
    {"far-left", "adversarial", "n=8", "", "GeluCancellation", "1 + erf cancels there, erfc does not", fill_far_left},
    END_CASE};

/* --- sum, dot, axpy ----------------------------------------------------------------------------------------------- */

static const op_tensor sum_in[] = {{"x", "n", OP_INPUT, OP_DIFF, "terms"}, END_TENSOR};
static const op_tensor sum_out[] = {{"sum", "", OP_BOUNDED, OP_DIFF, "their sum, taken left to right"}, END_TENSOR};
static const op_tensor dot_in[] = {
    {"x", "n", OP_INPUT, OP_DIFF, "first factor"},
    {"y", "n", OP_INPUT, OP_DIFF, "second factor"},
    END_TENSOR,
};
static const op_tensor dot_out[] = {{"dot", "", OP_BOUNDED, OP_DIFF, "the inner product, one fma chain"}, END_TENSOR};
static const op_tensor axpy_in[] = {
    {"a", "", OP_INPUT, OP_DIFF, "factor"},
    {"x", "n", OP_INPUT, OP_DIFF, "what is scaled"},
    {"y", "n", OP_INPUT, OP_DIFF, "what it is added to"},
    END_TENSOR,
};
static const op_tensor axpy_out[] = {{"z", "n", OP_BOUNDED, OP_DIFF, "fma(a, x, y)"}, END_TENSOR};

/* All inputs and the named cotangent are finite: sums and products themselves check nothing. */
static bool inputs_finite(const op_case *c)
{
    for (size_t i = 0; c->op->in[i].name; i++)
        if (!smoe_all_finite(c->in[i].count, c->in[i].f64)) return false;
    return true;
}

static smoe_status finite_or_overflow(size_t n, const double *x)
{
    return smoe_all_finite(n, x) ? SMOE_OK : SMOE_EOVRFLW;
}

static smoe_status sum_forward(op_case *c)
{
    if (!inputs_finite(c)) return SMOE_EDOM;
    *op_out(c, "sum") = smoe_sum(op_dim(c, 'n'), op_in(c, "x"));
    return finite_or_overflow(1, op_out(c, "sum"));
}

static smoe_status sum_vjp(op_case *c)
{
    if (!isfinite(*op_cot(c, "sum"))) return SMOE_EDOM;
    for (size_t i = 0; i < op_dim(c, 'n'); i++) op_grad(c, "x")[i] = *op_cot(c, "sum");
    return SMOE_OK;
}

static smoe_status dot_forward(op_case *c)
{
    if (!inputs_finite(c)) return SMOE_EDOM;
    *op_out(c, "dot") = smoe_dot(op_dim(c, 'n'), op_in(c, "x"), op_in(c, "y"));
    return finite_or_overflow(1, op_out(c, "dot"));
}

static smoe_status dot_vjp(op_case *c)
{
    const size_t n = op_dim(c, 'n');
    const double g = *op_cot(c, "dot");
    double *dx = op_grad(c, "x"), *dy = op_grad(c, "y");
    if (!isfinite(g)) return SMOE_EDOM;
    for (size_t i = 0; i < n; i++) {
        dx[i] = g * op_in(c, "y")[i];
        dy[i] = g * op_in(c, "x")[i];
    }
    return smoe_all_finite(n, dx) ? finite_or_overflow(n, dy) : SMOE_EOVRFLW;
}

static smoe_status axpy_forward(op_case *c)
{
    const size_t n = op_dim(c, 'n');
    double *z = op_out(c, "z");
    if (!inputs_finite(c)) return SMOE_EDOM;
    for (size_t i = 0; i < n; i++) z[i] = op_in(c, "y")[i];
    smoe_axpy(n, *op_in(c, "a"), op_in(c, "x"), z);
    return finite_or_overflow(n, z);
}

static smoe_status axpy_vjp(op_case *c)
{
    const size_t n = op_dim(c, 'n');
    const double *dz = op_cot(c, "z"), a = *op_in(c, "a");
    if (!smoe_all_finite(n, dz)) return SMOE_EDOM;
    *op_grad(c, "a") = smoe_dot(n, op_in(c, "x"), dz);
    for (size_t i = 0; i < n; i++) {
        op_grad(c, "x")[i] = a * dz[i];
        op_grad(c, "y")[i] = dz[i];
    }
    return isfinite(*op_grad(c, "a")) ? finite_or_overflow(n, op_grad(c, "x")) : SMOE_EOVRFLW;
}

/* Integers -2 ... 2 everywhere, cotangents too: exact in every precision and in every order. */
static void fill_integers(op_case *c, op_rng *r)
{
    for (size_t i = 0; c->op->in[i].name; i++)
        for (size_t k = 0; k < c->in[i].count; k++) c->in[i].f64[k] = (double)op_below(r, 5) - 2;
    for (size_t i = 0; c->op->out[i].name; i++)
        for (size_t k = 0; k < c->out[i].count; k++) c->cot[i].f64[k] = (double)op_below(r, 5) - 2;
}

/* Large terms in front that cancel exactly in pairs, so that the sum is that of the small ones. */
static void fill_cancelling(op_case *c, op_rng *r)
{
    const size_t n = op_dim(c, 'n');
    op_fill_default(c, r);
    for (size_t i = 0; c->op->in[i].name; i++)
        for (size_t k = 0; c->in[i].count == n && k + 1 < n / 2; k += 2) {
            const double big = op_representable(1024 * (1 + op_uniform(r)));
            c->in[i].f64[k] = big;
            c->in[i].f64[k + 1] = i == 0 ? -big : big;
        }
}

/* a x + y = 0 but for a few digits. */
static void fill_near_zero(op_case *c, op_rng *r)
{
    op_fill_default(c, r);
    *op_in(c, "a") = 1.0078125;
    for (size_t i = 0; i < op_dim(c, 'n'); i++) op_in(c, "y")[i] = -op_in(c, "x")[i];
}

static const op_spec sum_cases[] = {
    {"small", "smoke", "n=5", "", "", "a first look", NULL},
    {"random", "core", "n=64", "", "", "normal terms", NULL},
    {"one", "core", "n=1", "", "exact", "the term itself", NULL},
    {"none", "core", "n=0", "", "exact", "0 by definition", NULL},
    {"integers", "adversarial", "n=40", "", "exact", "exact in every precision and order", fill_integers},
    {"cancelling", "adversarial", "n=32", "", "", "large terms that cancel: the bound grows, the value does not",
     fill_cancelling},
    {"large", "large", "n=8192", "", "", "many terms", NULL},
    END_CASE};
static const op_spec dot_cases[] = {
    {"small", "smoke", "n=5", "", "", "a first look", NULL},
    {"random", "core", "n=64", "", "", "normal factors", NULL},
    {"one", "core", "n=1", "", "", "one product", NULL},
    {"none", "core", "n=0", "", "exact", "0 by definition", NULL},
    {"integers", "adversarial", "n=40", "", "exact", "exact in every precision and order", fill_integers},
    {"cancelling", "adversarial", "n=32", "", "", "large products that cancel", fill_cancelling},
    {"large", "large", "n=8192", "", "", "many terms", NULL},
    END_CASE};
static const op_spec axpy_cases[] = {
    {"small", "smoke", "n=5", "", "", "a first look", NULL},
    {"random", "core", "n=32", "", "", "normal operands", NULL},
    {"one", "core", "n=1", "", "", "one number", NULL},
    {"none", "core", "n=0", "", "exact", "no number: d_a = 0", NULL},
    {"integers", "adversarial", "n=16", "", "exact", "exact in every precision", fill_integers},
    {"near-zero", "adversarial", "n=16", "", "Cancellation", "the product and the addend nearly cancel",
     fill_near_zero},
    {"large", "large", "n=4096", "", "", "many numbers", NULL},
    END_CASE};

/* --- matrix products ---------------------------------------------------------------------------------------------- */

#define MATMUL_IN(NAME, A, B)                                                                                          \
    static const op_tensor NAME[] = {{"a", A, OP_INPUT, OP_DIFF, "left factor, as it is stored"},                      \
                                     {"b", B, OP_INPUT, OP_DIFF, "right factor, as it is stored"},                     \
                                     END_TENSOR}
MATMUL_IN(nn_in, "m,k", "k,n");
MATMUL_IN(nt_in, "m,k", "n,k");
MATMUL_IN(tn_in, "k,m", "k,n");
static const op_tensor matmul_out[] = {{"c", "m,n", OP_BOUNDED, OP_DIFF, "the product"}, END_TENSOR};

typedef void product(size_t, size_t, size_t, const double *, const double *, double *);

static smoe_status matmul_forward(op_case *c, product *multiply)
{
    const size_t m = op_dim(c, 'm'), n = op_dim(c, 'n');
    if (!inputs_finite(c)) return SMOE_EDOM;
    multiply(m, n, op_dim(c, 'k'), op_in(c, "a"), op_in(c, "b"), op_out(c, "c"));
    return finite_or_overflow(m * n, op_out(c, "c"));
}

static smoe_status nn_forward(op_case *c) { return matmul_forward(c, smoe_matmul_nn); }
static smoe_status nt_forward(op_case *c) { return matmul_forward(c, smoe_matmul_nt); }
static smoe_status tn_forward(op_case *c) { return matmul_forward(c, smoe_matmul_tn); }

static smoe_status gradients_finite(const op_case *c)
{
    for (size_t i = 0; c->op->in[i].name; i++)
        if (!smoe_all_finite(c->grad[i].count, c->grad[i].f64)) return SMOE_EOVRFLW;
    return SMOE_OK;
}

typedef struct {
    size_t m, n, k;
    const double *a, *b, *dc;
    double *da, *db;
} matmul;

static bool matmul_of(const op_case *c, matmul *p)
{
    *p = (matmul){op_dim(c, 'm'), op_dim(c, 'n'), op_dim(c, 'k'),  op_in(c, "a"),
                  op_in(c, "b"),  op_cot(c, "c"), op_grad(c, "a"), op_grad(c, "b")};
    return smoe_all_finite(p->m * p->n, p->dc);
}

/* C = A B:  dA = dC B^T,  dB = A^T dC. */
static smoe_status nn_vjp(op_case *c)
{
    matmul p;
    if (!matmul_of(c, &p)) return SMOE_EDOM;
    smoe_matmul_nt(p.m, p.k, p.n, p.dc, p.b, p.da);
    smoe_matmul_tn(p.k, p.n, p.m, p.a, p.dc, p.db);
    return gradients_finite(c);
}

/* C = A B^T:  dA = dC B,  dB = dC^T A. */
static smoe_status nt_vjp(op_case *c)
{
    matmul p;
    if (!matmul_of(c, &p)) return SMOE_EDOM;
    smoe_matmul_nn(p.m, p.k, p.n, p.dc, p.b, p.da);
    smoe_matmul_tn(p.n, p.k, p.m, p.dc, p.a, p.db);
    return gradients_finite(c);
}

/* C = A^T B:  dA = B dC^T,  dB = A dC. */
static smoe_status tn_vjp(op_case *c)
{
    matmul p;
    if (!matmul_of(c, &p)) return SMOE_EDOM;
    smoe_matmul_nt(p.k, p.m, p.n, p.b, p.dc, p.da);
    smoe_matmul_nn(p.k, p.n, p.m, p.a, p.dc, p.db);
    return gradients_finite(c);
}

/* Square factors with nothing below the diagonal: a transposed factor fits, and gives another product. */
static void fill_triangular(op_case *c, op_rng *r)
{
    const size_t n = op_dim(c, 'n');
    for (size_t i = 0; c->op->in[i].name; i++)
        for (size_t k = 0; k < c->in[i].count; k++)
            c->in[i].f64[k] = k % n >= k / n ? op_representable(1 + op_uniform(r)) : 0;
}

static const op_spec matmul_cases[] = {
    {"small", "smoke", "m=2,n=3,k=4", "", "", "a first look", NULL},
    {"random", "core", "m=5,n=7,k=6", "", "", "three different sizes, all of them odd or small", NULL},
    {"beyond-tile", "core", "m=9,n=25,k=13", "", "", "one more than a block of 8 x 24 in each direction", NULL},
    {"one", "core", "m=1,n=1,k=1", "", "", "one product", NULL},
    {"row", "core", "m=1,n=6,k=5", "", "", "a single row", NULL},
    {"no-rows", "core", "m=0,n=3,k=4", "", "exact", "no rows: the gradient of b is exactly 0", NULL},
    {"no-terms", "core", "m=3,n=2,k=0", "", "exact", "empty chains: exactly 0", NULL},
    {"integers", "adversarial", "m=6,n=10,k=24", "", "exact", "exact in every precision and order", fill_integers},
    {"triangular", "adversarial", "m=6,n=6,k=6", "", "TransposedWeights",
     "all sizes equal, so that a transposed factor fits, and shows", fill_triangular},
    {"large", "large", "m=40,n=56,k=300", "", "", "chains of 300, over more than one block", NULL},
    END_CASE};

/* --- softmax, logsumexp, norm ------------------------------------------------------------------------------------- */

static const op_tensor softmax_in[] = {{"z", "T,N", OP_INPUT, OP_DIFF, "logits"}, END_TENSOR};
static const op_tensor softmax_out[] = {{"p", "T,N", OP_BOUNDED, OP_DIFF, "probabilities: each row sums to 1"},
                                        END_TENSOR};
static const op_tensor lse_out[] = {
    {"lse", "T", OP_BOUNDED, OP_DIFF, "logarithm of the sum of exponentials of each row"}, END_TENSOR};
static const op_tensor norm_in[] = {{"x", "T,d", OP_INPUT, OP_DIFF, "vectors"}, END_TENSOR};
static const op_tensor norm_out[] = {{"norm", "T", OP_BOUNDED, OP_DIFF, "the length of each"}, END_TENSOR};

static const char *rows_check(const op_case *c)
{
    return op_dim(c, 'N') < 1 ? "N must be at least 1: a row without elements has no maximum" : NULL;
}

static smoe_status softmax_forward(op_case *c)
{
    const size_t N = op_dim(c, 'N');
    for (size_t t = 0; t < op_dim(c, 'T'); t++) {
        const smoe_status status = smoe_softmax(N, op_in(c, "z") + t * N, op_out(c, "p") + t * N);
        if (status != SMOE_OK) return status;
    }
    return SMOE_OK;
}

static smoe_status softmax_vjp(op_case *c)
{
    const size_t N = op_dim(c, 'N');
    for (size_t t = 0; t < op_dim(c, 'T'); t++) {
        const smoe_status status =
            smoe_softmax_vjp(N, op_out(c, "p") + t * N, op_cot(c, "p") + t * N, op_grad(c, "z") + t * N);
        if (status != SMOE_OK) return status;
    }
    return SMOE_OK;
}

static smoe_status lse_forward(op_case *c)
{
    const size_t N = op_dim(c, 'N');
    for (size_t t = 0; t < op_dim(c, 'T'); t++) {
        const smoe_status status = smoe_logsumexp(N, op_in(c, "z") + t * N, op_out(c, "lse") + t);
        if (status != SMOE_OK) return status;
    }
    return SMOE_OK;
}

static smoe_status lse_vjp(op_case *c)
{
    const size_t N = op_dim(c, 'N');
    for (size_t t = 0; t < op_dim(c, 'T'); t++) {
        const smoe_status status = smoe_logsumexp_vjp(N, op_in(c, "z") + t * N, op_out(c, "lse")[t],
                                                      op_cot(c, "lse")[t], op_grad(c, "z") + t * N);
        if (status != SMOE_OK) return status;
    }
    return SMOE_OK;
}

static smoe_status norm_forward(op_case *c)
{
    const size_t d = op_dim(c, 'd');
    for (size_t t = 0; t < op_dim(c, 'T'); t++) {
        const smoe_status status = smoe_norm(d, op_in(c, "x") + t * d, op_out(c, "norm") + t);
        if (status != SMOE_OK) return status;
    }
    return SMOE_OK;
}

static smoe_status norm_vjp(op_case *c)
{
    const size_t d = op_dim(c, 'd');
    for (size_t t = 0; t < op_dim(c, 'T'); t++) {
        const smoe_status status = smoe_norm_vjp(d, op_in(c, "x") + t * d, op_out(c, "norm")[t], op_cot(c, "norm")[t],
                                                 op_grad(c, "x") + t * d);
        if (status != SMOE_OK) return status;
    }
    return SMOE_OK;
}

/* Every row one number, another for each row: p = 1/N, exact for a power of two. */
static void fill_equal(op_case *c, op_rng *r)
{
    const size_t N = op_dim(c, 'N');
    for (size_t t = 0; t < op_dim(c, 'T'); t++) {
        const double z = op_representable(8 * op_normal(r));
        for (size_t i = 0; i < N; i++) op_in(c, "z")[t * N + i] = z;
    }
}

/* Logits of 80 and -80: e^80 fits a float, its sums and products do not; e^-160 fits nothing but a double. */
static void fill_huge(op_case *c, op_rng *r)
{
    op_fill_default(c, r);
    for (size_t i = 0; i < op_dim(c, 'T') * op_dim(c, 'N'); i++)
        if (op_below(r, 2)) op_in(c, "z")[i] = op_below(r, 2) ? 80 : -80;
}

/* Normals on top of a common offset: e^128 exceeds a float. */
static void fill_offset(op_case *c, op_rng *r)
{
    for (size_t i = 0; i < op_dim(c, 'T') * op_dim(c, 'N'); i++)
        op_in(c, "z")[i] = 128 + (double)op_below(r, 8); /* steps of 1 are exact up to 255 */
}

/* Far below 0: without the maximum subtracted every exponential is 0, and 0/0 follows. */
static void fill_below(op_case *c, op_rng *r)
{
    for (size_t i = 0; i < op_dim(c, 'T') * op_dim(c, 'N'); i++) op_in(c, "z")[i] = -1024 + 8 * (double)op_below(r, 4);
}

/* One logit far above the others, and zeros of both signs. */
static void fill_one_hot(op_case *c, op_rng *r)
{
    const size_t N = op_dim(c, 'N');
    for (size_t i = 0; i < op_dim(c, 'T') * N; i++) op_in(c, "z")[i] = op_below(r, 2) ? 0 : -0.0;
    for (size_t t = 0; t < op_dim(c, 'T'); t++) op_in(c, "z")[t * N + op_below(r, N)] = 16;
}

static const op_spec softmax_cases[] = {
    {"small", "smoke", "T=2,N=3", "", "", "a first look", NULL},
    {"random", "core", "T=8,N=6", "", "", "normal logits", NULL},
    {"one-logit", "core", "T=3,N=1", "", "exact", "N = 1: p = 1 and the gradient is exactly 0", NULL},
    {"no-tokens", "core", "T=0,N=4", "", "", "no rows", NULL},
    {"equal", "adversarial", "T=4,N=8", "", "ties", "equal logits: p = 1/8 exactly", fill_equal},
    {"huge", "adversarial", "T=6,N=5", "", "", "logits of 80 and -80", fill_huge},
    {"offset", "adversarial", "T=4,N=5", "", "NoMaximum", "without the maximum subtracted, a float overflows",
     fill_offset},
    {"below", "adversarial", "T=4,N=5", "", "NoMaximum", "without the maximum subtracted, 0/0", fill_below},
    {"one-hot", "adversarial", "T=4,N=5", "", "", "one logit far above zeros of both signs", fill_one_hot},
    {"large", "large", "T=64,N=64", "", "", "sums of 64 terms", NULL},
    END_CASE};

/* 3-4-5 triangles and their like at three scales: exact, but only if nothing overflows or vanishes on the way. */
static void fill_triangles(op_case *c, op_rng *r)
{
    static const double scale[] = {1, 0x1p-14, 0x1p13};
    (void)r;
    for (size_t t = 0; t < op_dim(c, 'T'); t++) {
        double *x = op_in(c, "x") + t * 3, s = scale[t % 3];
        x[0] = t % 2 ? 3 * s : 2 * s;
        x[1] = t % 2 ? 0 : -1 * s;
        x[2] = t % 2 ? -4 * s : 2 * s;
    }
}

static void fill_zero_rows(op_case *c, op_rng *r)
{
    const size_t d = op_dim(c, 'd');
    op_fill_default(c, r);
    for (size_t t = 0; t < op_dim(c, 'T'); t += 2)
        for (size_t k = 0; k < d; k++) op_in(c, "x")[t * d + k] = k % 2 ? 0 : -0.0;
}

static void fill_axes(op_case *c, op_rng *r)
{
    const size_t d = op_dim(c, 'd');
    for (size_t t = 0; t < op_dim(c, 'T'); t++)
        op_in(c, "x")[t * d + t % d] = (t % 2 ? -1 : 1) * op_representable(1 + op_uniform(r));
}

static const op_spec norm_cases[] = {
    {"small", "smoke", "T=2,d=3", "", "", "a first look", NULL},
    {"random", "core", "T=8,d=12", "", "", "normal vectors", NULL},
    {"one-coordinate", "core", "T=5,d=1", "", "exact", "d = 1: the absolute value, and its sign as gradient", NULL},
    {"no-tokens", "core", "T=0,d=3", "", "", "no vectors", NULL},
    {"triangles", "adversarial", "T=6,d=3", "", "", "integer triangles, unscaled, tiny and huge", fill_triangles},
    {"zero-rows", "adversarial", "T=4,d=5", "", "NormZero", "the gradient at 0 is 0, not NaN", fill_zero_rows},
    {"axes", "adversarial", "T=6,d=4", "", "", "one coordinate alone", fill_axes},
    {"large", "large", "T=32,d=512", "", "", "sums of 512 squares", NULL},
    END_CASE};

/* --- top-k -------------------------------------------------------------------------------------------------------- */

static const op_tensor topk_in[] = {{"s", "T,N", OP_INPUT, OP_DIFF, "scores"}, END_TENSOR};
static const op_tensor topk_out[] = {
    {"index", "T,K", OP_DECISION, OP_I64, "the K largest, largest first, lowest index among equals"},
    {"value", "T,K", OP_BOUNDED, OP_DIFF, "their scores"},
    {"margin", "T", OP_STAGE, OP_MARGIN, "K-th minus (K+1)-th largest score, +inf if K = N"},
    END_TENSOR,
};
static const op_param topk_param[] = {{"k", OP_INT, "2", "how many"}, {NULL, OP_INT, NULL, NULL}};

static const char *topk_check(const op_case *c)
{
    if (op_int(c, "k") < 1) return "k must be at least 1: nothing is selected";
    return op_int(c, "k") > (long)op_dim(c, 'N') ? "k must be at most N: there are not that many scores" : NULL;
}

static smoe_status topk_forward(op_case *c)
{
    const size_t N = op_dim(c, 'N'), K = (size_t)op_int(c, "k");
    size_t *index = indices(K);
    smoe_status status = SMOE_OK;
    for (size_t t = 0; t < op_dim(c, 'T') && status == SMOE_OK; t++) {
        status = smoe_topk(N, K, op_in(c, "s") + t * N, index, op_out(c, "value") + t * K, op_out(c, "margin") + t);
        for (size_t j = 0; j < K && status == SMOE_OK; j++) op_out_i64(c, "index")[t * K + j] = (int64_t)index[j];
    }
    free(index);
    return status;
}

static smoe_status topk_vjp(op_case *c)
{
    const size_t N = op_dim(c, 'N'), K = (size_t)op_int(c, "k");
    size_t *index = indices(K);
    smoe_status status = SMOE_OK;
    for (size_t t = 0; t < op_dim(c, 'T') && status == SMOE_OK; t++) {
        for (size_t j = 0; j < K; j++) index[j] = (size_t)op_out_i64(c, "index")[t * K + j];
        status = smoe_topk_vjp(N, K, index, op_cot(c, "value") + t * K, op_grad(c, "s") + t * N);
    }
    free(index);
    return status;
}

static void fill_apart(op_case *c, op_rng *r)
{
    op_fill_apart(r, 0.125, op_dim(c, 'T'), op_dim(c, 'N'), op_in(c, "s"));
}

/* Scores of three values only: the K-th is nearly always tied. */
static void fill_ties(op_case *c, op_rng *r)
{
    for (size_t i = 0; i < op_dim(c, 'T') * op_dim(c, 'N'); i++) op_in(c, "s")[i] = (double)op_below(r, 3);
}

static void fill_all_equal(op_case *c, op_rng *r)
{
    const size_t N = op_dim(c, 'N');
    for (size_t t = 0; t < op_dim(c, 'T'); t++) {
        const double s = op_representable(op_normal(r));
        for (size_t i = 0; i < N; i++) op_in(c, "s")[t * N + i] = s;
    }
}

static void fill_signed_zeros(op_case *c, op_rng *r)
{
    for (size_t i = 0; i < op_dim(c, 'T') * op_dim(c, 'N'); i++) op_in(c, "s")[i] = op_below(r, 2) ? 0 : -0.0;
}

/* Ascending and descending rows: the winners come last, or first. */
static void fill_sorted(op_case *c, op_rng *r)
{
    const size_t N = op_dim(c, 'N');
    (void)r;
    for (size_t t = 0; t < op_dim(c, 'T'); t++)
        for (size_t i = 0; i < N; i++) op_in(c, "s")[t * N + i] = t % 2 ? (double)i - 3 : 3 - (double)i;
}

/* All scores negative: a zero-initialised "best so far" would win. */
static void fill_negative(op_case *c, op_rng *r)
{
    fill_apart(c, r);
    for (size_t i = 0; i < op_dim(c, 'T') * op_dim(c, 'N'); i++)
        op_in(c, "s")[i] = op_representable(-16 - fabs(op_in(c, "s")[i]));
}

static const op_spec topk_cases[] = {
    {"small", "smoke", "T=3,N=5", "k=2", "", "a first look", fill_apart},
    {"random", "core", "T=12,N=8", "k=3", "", "scores well apart", fill_apart},
    {"all", "core", "T=4,N=5", "k=5", "", "K = N: a sort; the margin is infinite", fill_apart},
    {"first", "core", "T=6,N=7", "k=1", "", "K = 1: the maximum", fill_apart},
    {"one-score", "core", "T=3,N=1", "k=1", "", "N = K = 1", fill_apart},
    {"no-tokens", "core", "T=0,N=4", "k=2", "", "no rows", NULL},
    {"ties", "adversarial", "T=12,N=8", "k=3", "ties,TieOrder", "the K-th score is shared by others", fill_ties},
    {"all-equal", "adversarial", "T=4,N=6", "k=2", "ties,TieOrder", "as at the start of sparse upcycling",
     fill_all_equal},
    {"signed-zeros", "adversarial", "T=6,N=6", "k=2", "ties,TieOrder", "-0 equals 0: the lower index wins",
     fill_signed_zeros},
    {"sorted", "adversarial", "T=4,N=7", "k=3", "", "winners first, winners last", fill_sorted},
    {"negative", "adversarial", "T=6,N=6", "k=2", "", "all scores negative", fill_negative},
    {"large", "large", "T=64,N=64", "k=8", "", "many scores", fill_apart},
    END_CASE};

/* --- the records -------------------------------------------------------------------------------------------------- */

#define FUNCTION(ID, TITLE, EQUATION, FORMULA, SOURCE, NAME, PARAM, CASES)                                             \
    {                                                                                                                  \
        "numerics." ID, TITLE, EQUATION, FORMULA, SOURCE, "ref/numerics.c: smoe_" NAME ", smoe_" NAME "_deriv",        \
            function_in, function_out, PARAM, CASES, NULL, function_forward, function_vjp                              \
    }
#define TEXTBOOK "textbook definition; correct rounding after Ziv 1991 (from memory, high confidence)"
#define MATMUL(ID, TITLE, FORMULA, IN, FORWARD, VJP)                                                                   \
    {                                                                                                                  \
        "numerics.matmul_" ID, TITLE, "N.13", FORMULA, "our rule N.4: one chain of fused multiply-adds an element",    \
            "ref/numerics.c: smoe_matmul_" ID ", smoe_matmul_naive_" ID, IN, matmul_out, NULL, matmul_cases, NULL,     \
            FORWARD, VJP                                                                                               \
    }

const op_record op_numerics[] = {
    FUNCTION("exp", "Exponential", "N.14", "y = e^x, correctly rounded", TEXTBOOK, "exp", NULL, function_cases),
    FUNCTION("expm1", "Exponential less one", "N.14", "y = e^x - 1, correctly rounded", TEXTBOOK, "expm1", NULL,
             function_cases),
    FUNCTION("log", "Logarithm", "N.14", "y = ln x, correctly rounded; x > 0", TEXTBOOK, "log", NULL, function_cases),
    FUNCTION("log1p", "Logarithm of one plus", "N.14", "y = ln(1 + x), correctly rounded; x > -1", TEXTBOOK, "log1p",
             NULL, function_cases),
    FUNCTION("tanh", "Hyperbolic tangent", "N.14", "y = tanh x, correctly rounded", TEXTBOOK, "tanh", NULL,
             function_cases),
    FUNCTION("erf", "Error function", "N.14", "y = 2/sqrt(pi) int_0^x e^(-t^2) dt, correctly rounded", TEXTBOOK, "erf",
             NULL, function_cases),
    FUNCTION("erfc", "Complementary error function", "N.14", "y = 1 - erf x, correctly rounded", TEXTBOOK, "erfc", NULL,
             function_cases),
    FUNCTION("sigmoid", "Sigmoid", "N.15", "y = 1 / (1 + e^-x)", "textbook definition", "sigmoid", NULL,
             function_cases),
    FUNCTION("softplus", "Softplus", "N.16", "y = ln(1 + e^x) = log1p(e^-|x|) + max(x, 0)",
             "textbook definition; as CompeteSMoE v2's response (read in its public code)", "softplus", NULL,
             softplus_cases),
    FUNCTION("silu", "SiLU", "N.17", "y = x / (1 + e^-x)",
             "Hendrycks and Gimpel 2016; Ramachandran et al. 2017 (from memory, high confidence)", "silu", NULL,
             function_cases),
    FUNCTION("gelu", "GELU", "N.18 N.19", "y = x Phi(x), or x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))",
             "Hendrycks and Gimpel 2016 (from memory, high confidence); PyTorch's two forms", "gelu", gelu_param,
             gelu_cases),
    FUNCTION("normal_cdf", "Normal distribution function", "N.20", "y = erfc(-x/sqrt(2)) / 2", "textbook definition",
             "normal_cdf", NULL, function_cases),
    FUNCTION("normal_pdf", "Normal density", "N.21", "y = e^(-x^2/2) / sqrt(2 pi)", "textbook definition", "normal_pdf",
             NULL, function_cases),
    {"numerics.sum", "Sum", "N.10", "s = x_1 + ... + x_n, left to right", "our rule N.3", "ref/numerics.c: smoe_sum",
     sum_in, sum_out, NULL, sum_cases, NULL, sum_forward, sum_vjp},
    {"numerics.dot", "Inner product", "N.11", "s = fma(x_i, y_i, s), i ascending from s = 0", "our rule N.4",
     "ref/numerics.c: smoe_dot", dot_in, dot_out, NULL, dot_cases, NULL, dot_forward, dot_vjp},
    {"numerics.axpy", "Scaled addition", "N.12", "z = fma(a, x, y), element by element", "our rule N.4",
     "ref/numerics.c: smoe_axpy", axpy_in, axpy_out, NULL, axpy_cases, NULL, axpy_forward, axpy_vjp},
    MATMUL("nn", "Matrix product", "C = A B", nn_in, nn_forward, nn_vjp),
    MATMUL("nt", "Matrix product, right factor transposed", "C = A B^T", nt_in, nt_forward, nt_vjp),
    MATMUL("tn", "Matrix product, left factor transposed", "C = A^T B", tn_in, tn_forward, tn_vjp),
    {"numerics.softmax", "Softmax", "N.22", "p_i = exp(z_i - max z) / sum_j exp(z_j - max z)", "textbook definition",
     "ref/numerics.c: smoe_softmax, smoe_softmax_vjp", softmax_in, softmax_out, NULL, softmax_cases, rows_check,
     softmax_forward, softmax_vjp},
    {"numerics.logsumexp", "Log-sum-exp", "N.23", "lse = max z + ln sum_j exp(z_j - max z)", "textbook definition",
     "ref/numerics.c: smoe_logsumexp, smoe_logsumexp_vjp", softmax_in, lse_out, NULL, softmax_cases, rows_check,
     lse_forward, lse_vjp},
    {"numerics.norm", "L2 norm", "N.24", "|x| = sqrt(sum x_i^2), scaled by a power of two; its gradient at 0 is 0",
     "textbook definition", "ref/numerics.c: smoe_norm, smoe_norm_vjp", norm_in, norm_out, NULL, norm_cases, NULL,
     norm_forward, norm_vjp},
    {"numerics.topk", "Top-k", "N.25", "the K largest by value, then by index; margin = K-th minus (K+1)-th",
     "Shazeer et al. 2017 (from memory, high confidence); the tie rule is ours (N.9)",
     "ref/numerics.c: smoe_topk, smoe_topk_vjp", topk_in, topk_out, topk_param, topk_cases, topk_check, topk_forward,
     topk_vjp},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
