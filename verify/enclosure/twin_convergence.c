/* The twin of spec/08-convergence.md. */
#include "twin_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- the model (T.1 to T.4) --- */

static bool hidden(const twin_eval *x) { return strstr(x->c->op->id, ".hidden") != NULL; }

/* Linear: X A' + b.  Hidden: expert i is u v_i + b_i with u = phi(X W_i' + c_i); side by side, [n, N]. */
static tape_node *means(twin_eval *x)
{
    tape *t = x->t;
    tape_node *rows = twin_in(x, "x"), *b = twin_in(x, "b");
    if (!hidden(x)) return tape_add(t, tape_matmul_nt(t, rows, twin_in(x, "a")), b);
    const size_t N = op_dim(x->c, 'N'), H = op_dim(x->c, 'H'), d = op_dim(x->c, 'd');
    const tape_function phi = op_is(x->c, "activation", "tanh")   ? TAPE_TANH
                              : op_is(x->c, "activation", "gelu") ? TAPE_GELU
                                                                  : TAPE_SIGMOID;
    tape_node **column = calloc(N, sizeof(tape_node *));
    if (!column) abort();
    for (size_t i = 0; i < N; i++) {
        tape_node *w = tape_view(t, twin_in(x, "w"), i * H, H, d), *c = tape_view(t, twin_in(x, "c"), i, 1, H);
        tape_node *z = tape_add(t, tape_matmul_nt(t, rows, w), c);
        column[i] = tape_matmul_nt(t, tape_apply(t, phi, z), tape_view(t, twin_in(x, "v"), i, 1, H));
    }
    tape_node *h = tape_add(t, tape_concat_cols(t, N, column), b);
    free(column);
    return h;
}

/* |h|, ln softplus(h), softplus(h) or <beta1, x>, [n, N] */
static tape_node *scores(twin_eval *x, tape_node *h)
{
    tape *t = x->t;
    if (op_is(x->c, "gate", "softmax")) return tape_matmul_nt(t, twin_in(x, "x"), twin_in(x, "beta1"));
    if (twin_is(x, "GateDetached")) h = tape_stop(t, h);
    if (twin_is(x, "GateSign")) return h;
    if (op_is(x->c, "gate", "norm"))
        return tape_view(t, tape_norm(t, tape_view(t, h, 0, h->rows * h->cols, 1)), 0, h->rows, h->cols);
    tape_node *s = tape_apply(t, TAPE_SOFTPLUS, h);
    return op_is(x->c, "gate", "softplus") ? tape_apply(t, TAPE_LOG, s) : s;
}

static tape_node *chosen(twin_eval *x, tape_node *a) /* [n, N] -> [n, K], of a row that all samples share too */
{
    const size_t n = x->choice.T;
    if (a->rows == 1 && n != 1) {
        size_t *row = calloc(n + 1, sizeof *row);
        if (!row) abort();
        a = tape_gather_rows(x->t, a, n, row);
        free(row);
    }
    return tape_gather_cols(x->t, a, x->choice.K, x->choice.of);
}

/* ln pi of the chosen, [n, K] */
static tape_node *log_weights(twin_eval *x, tape_node *s)
{
    const bool weighed = op_is(x->c, "free", "yes") != twin_is(x, "FreeWeightDropped");
    tape_node *all = weighed ? tape_add(x->t, s, twin_in(x, "beta0")) : s, *g = chosen(x, all);
    if (twin_is(x, "GateNotNormalised")) return g;
    return tape_sub(x->t, g, twin_logsumexp(x, twin_is(x, "TopKNoRenorm") ? all : g));
}

/* -(ln 2 pi + ln nu)/2 - (y - h)^2 / nu / 2 of the chosen, [n, K] */
static tape_node *log_normals(twin_eval *x, tape_node *h)
{
    tape *t = x->t;
    const size_t n = op_dim(x->c, 'n');
    tape_node *nu = twin_in(x, "nu"), *y = tape_view(t, twin_in(x, "y"), 0, n, 1);
    if (twin_is(x, "NuIsSigma")) nu = tape_apply(t, TAPE_SQUARE, nu);
    const double two_pi[] = {twin_is(x, "NoTwoPi") ? 0 : 0x1.d67f1c864beb5p+0}; /* ln 2 pi to the nearest double */
    tape_node *constant = tape_scale(t, tape_offset(t, tape_apply(t, TAPE_LOG, nu), two_pi, false), -0.5);
    tape_node *r = tape_sub(t, y, chosen(x, h));
    tape_node *square = tape_div(t, tape_apply(t, TAPE_SQUARE, r), chosen(x, nu));
    return tape_add(t, chosen(x, constant), tape_scale(t, square, -0.5));
}

/* ln p(y|x), [n, 1]; NULL if the decision is out of range */
static tape_node *log_density(twin_eval *x)
{
    tape_node *h = means(x), *s = scores(x, h);
    twin_scores(x, "index", s);
    if (!twin_decide(x, "index", op_dim(x->c, 'n'), (size_t)op_int(x->c, "k"), op_dim(x->c, 'N'))) return NULL;
    return twin_logsumexp(x, tape_add(x->t, log_weights(x, s), log_normals(x, h)));
}

static void convergence_density(twin_eval *x)
{
    tape_node *logp = log_density(x);
    if (!logp) return;
    logp = tape_view(x->t, logp, 0, 1, logp->rows);
    twin_out(x, "logp", twin_is(x, "GradScale") ? tape_scale_gradient(x->t, logp, 0.5) : logp);
}

static void convergence_loglik(twin_eval *x)
{
    tape_node *logp = log_density(x);
    if (!logp) return;
    tape_node *L =
        twin_is(x, "LoglikSum") ? tape_sum(x->t, logp, TAPE_ALL) : tape_mean(x->t, logp, TAPE_ALL, logp->rows);
    twin_out(x, "loglik", twin_is(x, "GradScale") ? tape_scale_gradient(x->t, L, 0.5) : L);
}

/* --- the Hessian's product (T.6) --- */

/* s' and s'' at h, [n, N]; the sign of |h| is a number, 0 at 0 */
static tape_node *slope(twin_eval *x, tape_node *h)
{
    tape *t = x->t;
    const size_t n = h->rows * h->cols;
    tape_node *sigma = tape_apply(t, TAPE_SIGMOID, h);
    if (op_is(x->c, "gate", "softplus")) return tape_div(t, sigma, tape_apply(t, TAPE_SOFTPLUS, h));
    if (!op_is(x->c, "gate", "norm")) return sigma;
    double *sign = calloc(n, sizeof *sign);
    if (!sign) abort();
    for (size_t i = 0; i < n; i++) sign[i] = (tape_middle(h, i) > 0) - (tape_middle(h, i) < 0);
    tape_node *y = twin_numbers(x, h->rows, h->cols, sign);
    free(sign);
    return y;
}

static tape_node *second_slope(twin_eval *x, tape_node *h)
{
    tape *t = x->t;
    if (op_is(x->c, "gate", "norm") || twin_is(x, "HvpNoSecond")) return tape_fill(t, h->rows, h->cols, 0);
    tape_node *other = tape_apply(t, TAPE_SIGMOID, tape_scale(t, h, -1)), *first = slope(x, h);
    if (!op_is(x->c, "gate", "softplus")) return tape_mul(t, first, other);
    return tape_mul(t, first, tape_sub(t, other, first));
}

/* p (u - sum p u), row by row */
static tape_node *centred(twin_eval *x, tape_node *p, tape_node *u)
{
    return tape_mul(x->t, p, tape_sub(x->t, u, tape_sum(x->t, tape_mul(x->t, p, u), TAPE_COLS)));
}

static void hessian_out(twin_eval *x, tape_node *dht, tape_node *dgt, tape_node *dnut)
{
    tape *t = x->t;
    const size_t N = op_dim(x->c, 'N'), d = op_dim(x->c, 'd');
    tape_node *rows = twin_in(x, "x");
    const double share = 1 / (double)rows->rows;
    const size_t *of = x->choice.of;
    dht = tape_scale(t, tape_scatter_cols(t, dht, N, of), share);
    dgt = tape_scale(t, tape_scatter_cols(t, dgt, N, of), share);
    dnut = tape_scale(t, tape_scatter_cols(t, dnut, N, of), share);
    const bool softmax = op_is(x->c, "gate", "softmax"), weighed = op_is(x->c, "free", "yes");
    twin_out(x, "ha", tape_matmul_tn(t, dht, rows));
    twin_out(x, "hb", tape_sum(t, dht, TAPE_ROWS));
    twin_out(x, "hnu", tape_sum(t, dnut, TAPE_ROWS));
    twin_out(x, "hbeta0", weighed ? tape_sum(t, dgt, TAPE_ROWS) : tape_fill(t, 1, N, 0));
    twin_out(x, "hbeta1", softmax ? tape_matmul_tn(t, dgt, rows) : tape_fill(t, N, d, 0));
}

static void convergence_hvp(twin_eval *x)
{
    tape *t = x->t;
    tape_node *h = means(x), *s = scores(x, h), *rows = twin_in(x, "x");
    const size_t n = rows->rows;
    const bool softmax = op_is(x->c, "gate", "softmax");
    twin_scores(x, "index", s);
    if (!twin_decide(x, "index", n, (size_t)op_int(x->c, "k"), op_dim(x->c, 'N'))) return;
    tape_node *logpi = log_weights(x, s), *pi = tape_apply(t, TAPE_EXP, logpi);
    tape_node *q = twin_softmax(x, tape_add(t, logpi, log_normals(x, h)));
    tape_node *nu = chosen(x, twin_in(x, "nu")), *vnu = chosen(x, twin_in(x, "vnu"));
    tape_node *r = tape_sub(t, tape_view(t, twin_in(x, "y"), 0, n, 1), chosen(x, h));
    tape_node *rn = tape_div(t, r, nu),
              *ht_all = tape_add(t, tape_matmul_nt(t, rows, twin_in(x, "va")), twin_in(x, "vb"));
    tape_node *ht = chosen(x, ht_all), *first = chosen(x, slope(x, h)), *second = chosen(x, second_slope(x, h));
    tape_node *one = tape_fill(t, 1, 1, 1), *rr = tape_mul(t, r, rn); /* r^2 / nu */
    tape_node *gt = softmax ? chosen(x, tape_matmul_nt(t, rows, twin_in(x, "vbeta1"))) : tape_mul(t, first, ht);
    if (op_is(x->c, "free", "yes") != twin_is(x, "FreeWeightDropped"))
        gt = tape_add(t, gt, chosen(x, twin_in(x, "vbeta0")));
    tape_node *by_nu = tape_scale(t, tape_div(t, tape_sub(t, rr, one), nu), 0.5);
    tape_node *tt = tape_add(t, gt, tape_add(t, tape_mul(t, rn, ht), tape_mul(t, by_nu, vnu)));
    tape_node *dnt = centred(x, q, tt), *dg = tape_sub(t, q, pi), *vn = tape_div(t, vnu, nu);
    tape_node *dgt = tape_sub(t, dnt, centred(x, pi, gt));
    if (twin_is(x, "HvpGaussNewton")) dnt = tape_fill(t, dnt->rows, dnt->cols, 0);
    tape_node *dht =
        tape_sub(t, tape_mul(t, dnt, rn), tape_mul(t, q, tape_add(t, tape_div(t, ht, nu), tape_mul(t, rn, vn))));
    if (!softmax)
        dht = tape_add(t, dht, tape_add(t, tape_mul(t, dgt, first), tape_mul(t, tape_mul(t, dg, second), ht)));
    tape_node *half = tape_fill(t, 1, 1, 0.5);
    tape_node *bend =
        tape_sub(t, tape_mul(t, tape_div(t, tape_sub(t, half, rr), nu), vn), tape_mul(t, rn, tape_div(t, ht, nu)));
    hessian_out(x, dht, dgt, tape_add(t, tape_mul(t, dnt, by_nu), tape_mul(t, q, bend)));
}

const twin_entry twin_convergence[] = {
    {"convergence.density", convergence_density}, {"convergence.density.hidden", convergence_density},
    {"convergence.loglik", convergence_loglik},   {"convergence.loglik.hidden", convergence_loglik},
    {"convergence.hvp", convergence_hvp},         {NULL, NULL},
};
