/* The twin of spec/00-numerics.md, and softmax and logsumexp for the other chapters. */
#include "twin_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- composites --- */

/* The centre of each row's largest element: softmax(z - c) = softmax(z) for any c, so the number itself is free. */
static double *row_maxima(const tape_node *z, double sign)
{
    double *c = op_room(z->rows, sizeof(double));
    for (size_t i = 0; i < z->rows; i++) {
        double m = z->cols ? tape_middle(z, i * z->cols) : 0;
        for (size_t j = 1; j < z->cols; j++) m = fmax(m, tape_middle(z, i * z->cols + j));
        c[i] = isfinite(m) ? sign * m : 0;
    }
    return c;
}

/* Who computes exp(z - logsumexp(z)) instead of e/s makes these errors on top: a store of the logarithm, of the
 * difference.  They are in the gradient as well, which multiplies by the p that was stored. */
static tape_node *softmax_slack(tape *t, tape_node *p, const tape_node *zs, const tape_node *s)
{
    const size_t n = p->rows * p->cols;
    const double w = tape_u_next(t), e = tape_elementary_next(t);
    double *forward = op_room(n, sizeof(double)), *reverse = op_room(n, sizeof(double));
    for (size_t i = 0; i < n; i++) {
        const double z = tape_upper(zs, i), l = fabs(log(fmax(tape_upper(s, i / p->cols), 1)));
        const double off = e * l + w * (z + l);
        forward[i] = off * tape_upper(p, i);
        reverse[i] = off + 3 * w;
    }
    tape_node *y = tape_slack(t, p, forward, reverse);
    free(forward);
    free(reverse);
    return y;
}

/* The same in the p that the gradient of z carries as a factor; the logarithm is at most that of the row's length. */
static tape_node *factor_slack(tape *t, tape_node *zs)
{
    const size_t n = zs->rows * zs->cols;
    const double w = tape_u_next(t), e = tape_elementary_next(t), l = log((double)zs->cols);
    double *reverse = op_room(n, sizeof(double));
    for (size_t i = 0; i < n; i++) reverse[i] = e * l + w * (tape_upper(zs, i) + l);
    tape_node *y = tape_slack(t, zs, NULL, reverse);
    free(reverse);
    return y;
}

tape_node *twin_softmax(twin_eval *x, tape_node *z)
{
    double *c = row_maxima(z, -1);
    tape_node *zs = tape_offset(x->t, z, c, true);
    if (tape_rounds(x->t)) zs = factor_slack(x->t, zs);
    tape_node *e = tape_apply(x->t, TAPE_EXP, zs);
    tape_node *s = tape_sum(x->t, e, TAPE_COLS);
    tape_node *p = tape_div(x->t, e, s);
    free(c);
    return tape_rounds(x->t) ? softmax_slack(x->t, p, zs, s) : p;
}

/* Who takes the gradient as exp(z - lse) uses the stored lse: its rounding, absolute, is a relative error there. */
static tape_node *logsumexp_slack(tape *t, tape_node *z)
{
    const double w = tape_u_next(t), e = tape_elementary_next(t), spread = log((double)z->cols);
    double *reverse = op_room(z->rows * z->cols, sizeof(double));
    for (size_t i = 0; i < z->rows; i++) {
        double m = -INFINITY;
        for (size_t j = 0; j < z->cols; j++) m = fmax(m, tape_middle(z, i * z->cols + j));
        for (size_t j = 0; j < z->cols; j++)
            reverse[i * z->cols + j] =
                2 * w * (fabs(m) + 2 * spread) + w * (m - tape_middle(z, i * z->cols + j)) + e + 3 * w;
    }
    tape_node *y = tape_slack(t, z, NULL, reverse);
    free(reverse);
    return y;
}

tape_node *twin_logsumexp(twin_eval *x, tape_node *z)
{
    if (tape_rounds(x->t)) z = logsumexp_slack(x->t, z);
    double *c = row_maxima(z, -1);
    tape_node *e = tape_apply(x->t, TAPE_EXP, tape_offset(x->t, z, c, true));
    tape_node *l = tape_apply(x->t, TAPE_LOG, tape_sum(x->t, e, TAPE_COLS));
    for (size_t i = 0; i < z->rows; i++) c[i] = -c[i];
    tape_node *y = tape_offset(x->t, l, c, false);
    free(c);
    return y;
}

/* --- operations --- */

static const struct {
    const char *id;
    tape_function f;
} functions[] = {
    {"numerics.exp", TAPE_EXP},
    {"numerics.expm1", TAPE_EXPM1},
    {"numerics.log", TAPE_LOG},
    {"numerics.log1p", TAPE_LOG1P},
    {"numerics.tanh", TAPE_TANH},
    {"numerics.erf", TAPE_ERF},
    {"numerics.erfc", TAPE_ERFC},
    {"numerics.sigmoid", TAPE_SIGMOID},
    {"numerics.softplus", TAPE_SOFTPLUS},
    {"numerics.silu", TAPE_SILU},
    {"numerics.normal_cdf", TAPE_NORMAL_CDF},
    {"numerics.normal_pdf", TAPE_NORMAL_PDF},
};

static void elementwise(twin_eval *x)
{
    size_t i = 0;
    while (strcmp(functions[i].id, x->c->op->id) != 0) i++;
    tape_function f = functions[i].f;
    if (f == TAPE_SOFTPLUS && twin_is(x, "SoftplusThreshold")) f = TAPE_SOFTPLUS20;
    twin_out(x, "y", tape_apply(x->t, f, twin_in(x, "x")));
}

static void gelu(twin_eval *x)
{
    const bool tanh_form = op_is(x->c, "approximate", "tanh");
    const bool use_tanh = twin_is(x, "GeluTanh") || (tanh_form && !twin_is(x, "GeluErf"));
    twin_out(x, "y", tape_apply(x->t, use_tanh ? TAPE_GELU_TANH : TAPE_GELU, twin_in(x, "x")));
}

static void sum(twin_eval *x) { twin_out(x, "sum", tape_sum(x->t, twin_in(x, "x"), TAPE_ALL)); }

static void dot(twin_eval *x)
{
    twin_out(x, "dot", tape_sum(x->t, tape_mul(x->t, twin_in(x, "x"), twin_in(x, "y")), TAPE_ALL));
}

static void axpy(twin_eval *x)
{
    twin_out(x, "z", tape_add(x->t, tape_mul(x->t, twin_in(x, "a"), twin_in(x, "x")), twin_in(x, "y")));
}

static void matmul_nn(twin_eval *x) { twin_out(x, "c", tape_matmul_nn(x->t, twin_in(x, "a"), twin_in(x, "b"))); }

static void matmul_nt(twin_eval *x) { twin_out(x, "c", tape_matmul_nt(x->t, twin_in(x, "a"), twin_in(x, "b"))); }

static void matmul_tn(twin_eval *x) { twin_out(x, "c", tape_matmul_tn(x->t, twin_in(x, "a"), twin_in(x, "b"))); }

static void softmax(twin_eval *x) { twin_out(x, "p", twin_softmax(x, twin_in(x, "z"))); }

static void logsumexp(twin_eval *x) { twin_out(x, "lse", twin_logsumexp(x, twin_in(x, "z"))); }

static void norm(twin_eval *x) { twin_out(x, "norm", tape_norm(x->t, twin_in(x, "x"))); }

static void topk(twin_eval *x)
{
    tape_node *s = twin_in(x, "s");
    twin_scores(x, "index", s);
    const size_t K = (size_t)op_int(x->c, "k");
    if (!twin_decide(x, "index", s->rows, K, s->cols)) return;
    twin_out(x, "value", tape_gather_cols(x->t, s, K, x->choice.of));
}

const twin_entry twin_numerics[] = {
    {"numerics.exp", elementwise},
    {"numerics.expm1", elementwise},
    {"numerics.log", elementwise},
    {"numerics.log1p", elementwise},
    {"numerics.tanh", elementwise},
    {"numerics.erf", elementwise},
    {"numerics.erfc", elementwise},
    {"numerics.sigmoid", elementwise},
    {"numerics.softplus", elementwise},
    {"numerics.silu", elementwise},
    {"numerics.gelu", gelu},
    {"numerics.normal_cdf", elementwise},
    {"numerics.normal_pdf", elementwise},
    {"numerics.sum", sum},
    {"numerics.dot", dot},
    {"numerics.axpy", axpy},
    {"numerics.matmul_nn", matmul_nn},
    {"numerics.matmul_nt", matmul_nt},
    {"numerics.matmul_tn", matmul_tn},
    {"numerics.softmax", softmax},
    {"numerics.logsumexp", logsumexp},
    {"numerics.norm", norm},
    {"numerics.topk", topk},
    {NULL, NULL},
};
