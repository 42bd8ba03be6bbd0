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
    tape_node **column = op_room(N, sizeof(tape_node *));
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
        size_t *row = op_room(n, sizeof *row);
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

/* What the K are chosen by. */
static tape_node *competing(twin_eval *x, tape_node *s)
{
    return twin_is(x, "TopKAfterFree") ? tape_add(x->t, s, twin_in(x, "beta0")) : s;
}

/* ln p(y|x), [n, 1]; NULL if the decision is out of range */
static tape_node *log_density(twin_eval *x)
{
    tape_node *h = means(x), *s = scores(x, h);
    twin_scores(x, "index", competing(x, s));
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
    double *sign = op_room(n, sizeof *sign);
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
    twin_scores(x, "index", competing(x, s));
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

/* --- sampling (T.7) --- */

static size_t *numbers_to(size_t n)
{
    size_t *of = op_room(n, sizeof *of);
    for (size_t i = 0; i < n; i++) of[i] = i;
    return of;
}

/* The choice of all atoms in their order, where there is no decision. */
static void choose_all(twin_eval *x, size_t n, size_t N)
{
    free(x->choice.of);
    x->choice = (twin_choice){n, N, N, numbers_to(n * N)};
    for (size_t i = 0; i < n * N; i++) x->choice.of[i] = i % N;
}

/* Half an atom's share less the distance of u from its middle: above 0 for the one atom in whose share u is. */
static tape_node *shares(twin_eval *x, tape_node *pi)
{
    tape *t = x->t;
    const size_t n = pi->rows, N = pi->cols;
    double *sum = op_room(N * N, sizeof *sum);
    for (size_t j = 0; j < N; j++)
        for (size_t i = j; i < N; i++) sum[j * N + i] = i == j ? 0.5 : 1;
    tape_node *middle = tape_matmul_nn(t, pi, twin_numbers(x, N, N, sum));
    tape_node *off = tape_sub(t, tape_view(t, twin_in(x, "u"), 0, n, 1), middle);
    tape_node *far = tape_view(t, tape_norm(t, tape_view(t, off, 0, n * N, 1)), 0, n, N);
    free(sum);
    return tape_sub(t, tape_scale(t, pi, 0.5), far);
}

static void convergence_sample(twin_eval *x)
{
    tape *t = x->t;
    const size_t n = op_dim(x->c, 'n'), N = op_dim(x->c, 'N');
    tape_node *h = means(x), *s = scores(x, h);
    choose_all(x, n, N);
    twin_scores(x, "label", shares(x, tape_apply(t, TAPE_EXP, log_weights(x, s))));
    if (!twin_decide(x, "label", n, 1, N)) return;
    tape_node *nu = twin_in(x, "nu"), *sigma = twin_is(x, "SampleNuIsSigma") ? nu : tape_apply(t, TAPE_SQRT, nu);
    tape_node *noise = tape_mul(t, chosen(x, sigma), tape_view(t, twin_in(x, "z"), 0, n, 1));
    twin_out(x, "y", tape_view(t, tape_add(t, chosen(x, h), noise), 0, 1, n));
}

/* --- distances (T.8) --- */

enum { BITS = 160 };

/* One of the two models, its names after `prefix`: means and log-weights [n, N] of all atoms, variances [1, N]. */
typedef struct {
    tape_node *mean, *logpi, *nu;
} mixture_model;

static tape_node *named(twin_eval *x, const char *prefix, const char *name)
{
    char whole[16];
    return twin_in(x, strcat(strcpy(whole, prefix), name));
}

static mixture_model model_of(twin_eval *x, const char *prefix)
{
    tape *t = x->t;
    tape_node *rows = twin_in(x, "x"), *beta0 = named(x, prefix, "beta0"), *beta1 = named(x, prefix, "beta1");
    tape_node *h = tape_add(t, tape_matmul_nt(t, rows, named(x, prefix, "a")), named(x, prefix, "b"));
    tape_node *s = op_is(x->c, "gate", "softmax") ? tape_matmul_nt(t, rows, beta1) : scores(x, h);
    const bool weighed = op_is(x->c, "free", "yes") != twin_is(x, "FreeWeightDropped");
    tape_node *g = weighed ? tape_add(t, s, beta0) : s;
    return (mixture_model){h, tape_sub(t, g, twin_logsumexp(x, g)), named(x, prefix, "nu")};
}

static double radius(arb_srcptr v)
{
    const double r = mag_get_d(arb_radref(v));
    return r > 0 ? r : mag_is_zero(arb_radref(v)) ? 0 : 0x1p-1000;
}

/* The unit roundoff of the arithmetic, as one whose elementary functions are within 4 ulp. */
static double roundoff(const twin_eval *x)
{
    double ulp = x->profile ? x->profile->elementary_ulp : 4;
    for (const twin_profile *p = x->profile ? x->profile->tensor : NULL; p && p->name; p++)
        ulp = fmax(ulp, p->elementary_ulp);
    return tape_arithmetic(x->t) * fmax(1, ulp / 4);
}

/* How far a candidate's mixture may be from the middles of the balls at sample t, in V and in h: spec T.8, "Roundings". */
static void model_error(const twin_eval *x, const mixture_model *m, size_t t, double far, double *in_v, double *in_h)
{
    const size_t N = m->mean->cols;
    const double u = roundoff(x);
    double V = 0, weights = 0, means = 0, scales = 0, rounding = 0, most = 0, worst = 0;
    for (size_t i = 0; i < N; i++) most = fmax(most, 1 + fabs(log(tape_middle(m->nu, i))) / 2);
    for (size_t i = 0; i < N; i++) {
        arb_srcptr l = m->logpi->v + t * N + i, h = m->mean->v + t * N + i;
        const double nu = tape_middle(m->nu, i), log_nu = fabs(log(nu)), logpi = arf_get_d(arb_midref(l), ARF_RND_NEAR);
        const double pi = exp(logpi), dl = radius(l), dh = radius(h), dn = -log1p(-radius(m->nu->v + i) / nu);
        const double A = 4 * (fabs(logpi) + 1 + log_nu / 2) + 2 * most + 6 * log_nu + 11 * (double)N + 40;
        const double B = 3 * far / sqrt(nu), eta = 1.01 * u * (A + B + 11);
        worst = fmax(worst, u * (A + 15 * B + 1200));
        V += pi * (expm1(dl) / 2 + dh / sqrt(6.28 * nu) + dn / 4);
        weights += pi * expm1(dl / 2) * expm1(dl / 2) / 2;
        means += pi * dh * dh / (8 * nu);
        scales += pi * dn * dn / 16;
        rounding += pi * eta * eta;
    }
    *in_v = worst < 0.01 ? V + sqrt(rounding) / 2 : INFINITY;
    *in_h = worst < 0.01 ? sqrt(weights) + sqrt(means) + sqrt(scales) + sqrt(rounding / 2) : INFINITY;
}

/* V and h^2 at each x, as the balls of the numbers themselves; what a candidate may be off by, in V and in h. */
static void distances(twin_eval *x, tape_node *V, tape_node *square, double *in_v, double *in_h)
{
    const mixture_model p = model_of(x, ""), q = model_of(x, "q");
    const double u = tape_arithmetic(x->t), sums = 1100 * u / (1 - 1100 * u);
    const size_t N = p.mean->cols, S = q.mean->cols;
    for (size_t t = 0; t < V->rows; t++) {
        const twin_mixture mp = {N, p.logpi->v + t * N, p.mean->v + t * N, p.nu->v};
        const twin_mixture mq = {S, q.logpi->v + t * S, q.mean->v + t * S, q.nu->v};
        const double far = twin_distance(&mp, &mq, 68, V->v + t, square->v + t), flushed = 2 * far * 0x1p-126;
        double v, h;
        model_error(x, &p, t, far, &in_v[t], &in_h[t]);
        model_error(x, &q, t, far, &v, &h);
        in_v[t] += v;
        in_h[t] += h;
        if (!tape_rounds(x->t)) continue;
        in_v[t] += 0x1p-40 + flushed + sums * tape_upper(V, t);
        in_h[t] += 0x1p-40 + sqrt(flushed) + sums * sqrt(tape_upper(square, t));
    }
}

static tape_node *with_slack(twin_eval *x, tape_node *a, const double *slack, bool across)
{
    tape_node *y = tape_slack(x->t, a, slack, NULL);
    return across ? tape_view(x->t, y, 0, 1, a->rows) : y;
}

static void convergence_distance(twin_eval *x)
{
    tape *t = x->t;
    const size_t n = op_dim(x->c, 'n');
    tape_node *V = tape_fill(t, n, 1, 0), *square = tape_fill(t, n, 1, 0);
    double *in_v = op_room(3 * n, sizeof *in_v), *in_h = in_v + n, *in_square = in_h + n, all = 0;
    distances(x, V, square, in_v, in_h);
    for (size_t i = 0; i < n; i++) {
        const double h2 = tape_upper(square, i);
        in_square[i] = (2 * sqrt(h2) + in_h[i]) * in_h[i] + tape_u(t) * h2;
        all += in_h[i] * in_h[i] / (double)n;
        in_v[i] += tape_u(t) * tape_upper(V, i);
    }
    tape_node *v = with_slack(x, V, in_v, true), *tv = tape_mean(t, v, TAPE_ALL, n), *h = tape_fill(t, 1, 1, 0);
    twin_out(x, "variation", v);
    twin_out(x, "tv", twin_is(x, "TvNoHalf") ? tape_scale(t, tv, 2) : tv);
    twin_out(x, "square", with_slack(x, square, in_square, true));
    arb_t s;
    arb_init(s);
    for (size_t i = 0; i < n; i++) {
        if (twin_is(x, "HellingerMeanOfRoots"))
            arb_sqrtpos(s, square->v + i, BITS);
        else
            arb_set(s, square->v + i);
        arb_add(h->v, h->v, s, BITS);
    }
    arb_div_ui(h->v, h->v, (ulong)n, BITS);
    if (!twin_is(x, "HellingerMeanOfRoots") && !twin_is(x, "HellingerSquared")) arb_sqrtpos(h->v, h->v, BITS);
    arb_clear(s);
    all = sqrt(all) + (double)(n + 8) * tape_u(t) * tape_upper(h, 0);
    twin_out(x, "hellinger", with_slack(x, h, &all, false));
    free(in_v);
}

/* --- losses (T.9 to T.11) --- */

/* Rows theta_i - theta*_j for the pairs (i, j) given by two lists of n. */
static tape_node *pairs(twin_eval *x, size_t n, const size_t *atom, const size_t *of)
{
    tape *t = x->t;
    return tape_sub(t, tape_gather_rows(t, twin_in(x, "atoms"), n, atom),
                    tape_gather_rows(t, twin_in(x, "truth"), n, of));
}

/* The same with so many roundings more, relative, forward. */
static tape_node *loose(twin_eval *x, tape_node *a, double roundings)
{
    const size_t n = a->rows * a->cols;
    if (!tape_rounds(x->t)) return a;
    double *slack = op_room(n, sizeof *slack);
    for (size_t e = 0; e < n; e++) slack[e] = roundings * tape_u(x->t) * tape_upper(a, e);
    tape_node *y = tape_slack(x->t, a, slack, NULL);
    free(slack);
    return y;
}

/* |row|^rho, rho > 0, of one row; 0 of zeros, which have no logarithm */
static tape_node *power(twin_eval *x, tape_node *row, double rho)
{
    tape *t = x->t;
    tape_node *norm = tape_norm(t, row), *y = norm;
    if (arb_is_zero(norm->v)) return tape_fill(t, 1, 1, 0);
    if (rho > 16 || rho != floor(rho)) { /* a whole power may be rho factors all the same */
        y = tape_apply(t, TAPE_EXP, tape_scale(t, tape_apply(t, TAPE_LOG, norm), rho));
        return rho == floor(rho) ? loose(x, y, rho) : y;
    }
    for (double j = 1; j < rho; j++) y = tape_mul(t, y, norm);
    return y;
}

static tape_node *columns(twin_eval *x, tape_node *a, size_t first, size_t n)
{
    size_t *col = numbers_to(a->rows * n);
    for (size_t i = 0; i < a->rows * n; i++) col[i] = first + i % n;
    tape_node *y = tape_gather_cols(x->t, a, n, col);
    free(col);
    return y;
}

/* What atom i with M - 1 companions costs, its weight apart: [1, 1] */
static tape_node *cost(twin_eval *x, tape_node *off, size_t M)
{
    tape *t = x->t;
    const size_t d = off->cols;
    const bool by_cell = op_is(x->c, "powers", "cell");
    if (M < 2 || twin_is(x, "VoronoiNoPowers")) return tape_norm(t, off);
    if (by_cell && M > 3) twin_fail(x, "no order is known for a cell of", "more than three atoms");
    const double r = M == 2 ? 4 : 6;
    tape_node *slopes = power(x, columns(x, off, 0, d - 2), by_cell ? 2 : op_real(x->c, "slope"));
    tape_node *b = power(x, columns(x, off, d - 2, 1), by_cell ? r : op_real(x->c, "intercept"));
    tape_node *nu = power(x, columns(x, off, d - 1, 1), by_cell ? r / 2 : op_real(x->c, "variance"));
    return tape_add(t, tape_add(t, slopes, b), nu);
}

/* Logarithms of weights, [1, N]; with the last of them at 0, if that is the normal form. */
static tape_node *log_masses(twin_eval *x, const char *name)
{
    tape_node *beta0 = twin_in(x, name);
    if (!twin_is(x, "LastAtomZero")) return beta0;
    return tape_sub(x->t, beta0, columns(x, beta0, beta0->cols - 1, 1));
}

/* sum_j | sum_{A_j} e^beta0 - e^beta0*_j |, [1, 1] */
static tape_node *mass_error(twin_eval *x, tape_node *mass)
{
    tape *t = x->t;
    const size_t N = op_dim(x->c, 'S'), S = op_dim(x->c, 'N'); /* estimated and true atoms */
    double *member = op_room(N * S, sizeof *member);
    for (size_t i = 0; i < N; i++) member[i * S + x->choice.of[i]] = 1;
    tape_node *cell = tape_matmul_nn(t, mass, twin_numbers(x, N, S, member));
    tape_node *off = tape_sub(t, cell, tape_apply(t, TAPE_EXP, log_masses(x, "beta0star")));
    free(member);
    return tape_sum(t, tape_norm(t, tape_view(t, off, 0, S, 1)), TAPE_ALL);
}

static size_t companions(const twin_eval *x, size_t cell)
{
    size_t M = 0;
    for (size_t i = 0; i < x->choice.T; i++) M += x->choice.of[i] == cell;
    return M;
}

static void convergence_voronoi(twin_eval *x)
{
    tape *t = x->t;
    const size_t N = op_dim(x->c, 'S'), S = op_dim(x->c, 'N'); /* estimated and true atoms */
    size_t *atom = numbers_to(N * S), *of = numbers_to(N * S);
    for (size_t e = 0; e < N * S; e++) {
        atom[e] = e / S;
        of[e] = e % S;
    }
    tape_node *far = tape_view(t, tape_norm(t, pairs(x, N * S, atom, of)), 0, N, S);
    twin_scores(x, "cell", tape_scale(t, far, -1));
    if (twin_decide(x, "cell", N, 1, S)) {
        tape_node *mass = tape_apply(t, TAPE_EXP, log_masses(x, "beta0")), **over = op_room(N, sizeof *over);
        for (size_t i = 0; i < N; i++)
            over[i] = cost(x, pairs(x, 1, &i, &x->choice.of[i]), companions(x, x->choice.of[i]));
        tape_node *first = mass_error(x, mass),
                  *weight = twin_is(x, "VoronoiUnweighted") ? tape_fill(t, 1, N, 1) : mass;
        tape_node *near = tape_view(t, chosen(x, far), 0, N, 1);
        twin_out(x, "exact", tape_add(t, first, tape_matmul_nn(t, weight, near)));
        twin_out(x, "over", tape_add(t, first, tape_matmul_nn(t, weight, tape_concat_rows(t, N, over))));
        free(over);
    }
    free(atom);
    free(of);
}

/* --- weighted least squares (T.12, T.13) --- */

static tape_node *element(twin_eval *x, tape_node *a, size_t i, size_t j)
{
    return columns(x, tape_view(x->t, a, i, 1, a->cols), j, 1);
}

/* C step = v by elimination, C [d,d] positive definite, v [d,1]: step [1,d] */
static tape_node *eliminate(twin_eval *x, tape_node *C, tape_node *v)
{
    tape *t = x->t;
    const size_t d = C->rows, wide = d + 1;
    tape_node **A = op_room(d * wide, sizeof *A), **step = op_room(d, sizeof *step);
    for (size_t i = 0; i < d; i++)
        for (size_t j = 0; j <= d; j++) A[i * wide + j] = j < d ? element(x, C, i, j) : element(x, v, i, 0);
    for (size_t k = 0; k < d; k++)
        for (size_t i = k + 1; i < d; i++) {
            tape_node *f = tape_div(t, A[i * wide + k], A[k * wide + k]);
            for (size_t j = k; j <= d; j++)
                A[i * wide + j] = tape_sub(t, A[i * wide + j], tape_mul(t, f, A[k * wide + j]));
        }
    for (size_t i = d; i-- > 0;) {
        tape_node *rest = A[i * wide + d];
        for (size_t j = i + 1; j < d; j++) rest = tape_sub(t, rest, tape_mul(t, A[i * wide + j], step[j]));
        step[i] = tape_div(t, rest, A[i * wide + i]);
    }
    tape_node *y = tape_concat_cols(t, d, step);
    free(A);
    free(step);
    return y;
}

/* (sum w x~x~')^-1 sum g x~ with x~ = (x,1): slopes [1,d] and intercept [1,1]; w, g [n,1] */
static tape_node *least_squares(twin_eval *x, tape_node *rows, tape_node *w, tape_node *g, tape_node **intercept)
{
    tape *t = x->t;
    tape_node *S = tape_sum(t, w, TAPE_ALL), *centre = tape_div(t, tape_matmul_tn(t, w, rows), S);
    tape_node *off = tape_sub(t, rows, centre);
    tape_node *a = eliminate(x, tape_matmul_tn(t, tape_mul(t, off, w), off), tape_matmul_tn(t, off, g));
    *intercept = tape_sub(t, tape_div(t, tape_sum(t, g, TAPE_ALL), S), tape_matmul_nt(t, a, centre));
    return a;
}

static void convergence_em(twin_eval *x)
{
    tape *t = x->t;
    const size_t n = op_dim(x->c, 'n'), N = op_dim(x->c, 'N');
    tape_node *h = means(x), *s = scores(x, h), *rows = twin_in(x, "x"), *nu = twin_in(x, "nu");
    tape_node **da = op_room(3 * N, sizeof *da), **db = da + N, **variance = db + N;
    choose_all(x, n, N);
    tape_node *logpi = log_weights(x, s), *normals = log_normals(x, h);
    tape_node *joint = twin_is(x, "ResponsibilityNoGate") ? normals : tape_add(t, logpi, normals);
    tape_node *q = twin_softmax(x, joint), *r = tape_sub(t, tape_view(t, twin_in(x, "y"), 0, n, 1), h);
    tape_node *pull = tape_mul(t, q, r);
    if (!op_is(x->c, "gate", "softmax") && !twin_is(x, "EmIgnoresGate")) {
        tape_node *gate = tape_mul(t, tape_sub(t, q, tape_apply(t, TAPE_EXP, logpi)), slope(x, h));
        pull = tape_add(t, pull, tape_mul(t, gate, nu));
    }
    for (size_t i = 0; i < N; i++) da[i] = least_squares(x, rows, columns(x, q, i, 1), columns(x, pull, i, 1), &db[i]);
    for (size_t i = 0; i < N; i++) { /* about the moved line */
        tape_node *line = tape_add(t, tape_matmul_nt(t, rows, da[i]), db[i]);
        tape_node *off = tape_sub(t, columns(x, r, i, 1), line), *qi = columns(x, q, i, 1);
        tape_node *sum = tape_matmul_tn(t, qi, tape_apply(t, TAPE_SQUARE, off)), *count = tape_sum(t, qi, TAPE_ALL);
        if (twin_is(x, "EmUnbiasedVariance"))
            count = tape_sub(t, count, tape_fill(t, 1, 1, (double)op_dim(x->c, 'd') + 1));
        variance[i] = tape_div(t, sum, count);
    }
    twin_out(x, "variance", tape_concat_cols(t, N, variance));
    twin_out(x, "q", q);
    twin_out(x, "loglik", tape_mean(t, twin_logsumexp(x, tape_add(t, logpi, normals)), TAPE_ALL, n));
    twin_out(x, "da", tape_concat_rows(t, N, da));
    twin_out(x, "db", tape_concat_cols(t, N, db));
    free(da);
}

/* Least squares of one atom's m samples, given by their numbers. */
static void fit(twin_eval *x, size_t m, const size_t *of, tape_node **a, tape_node **b, tape_node **nu)
{
    tape *t = x->t;
    const size_t n = op_dim(x->c, 'n'), d = op_dim(x->c, 'd');
    tape_node *rows = tape_gather_rows(t, twin_in(x, "x"), m, of);
    tape_node *y = tape_gather_rows(t, tape_view(t, twin_in(x, "y"), 0, n, 1), m, of);
    tape_node *my = tape_mean(t, y, TAPE_ALL, m), *rest;
    /* by Cholesky a pivot's root comes with a rounding and divides twice, and each division rounds */
    *a = loose(x, least_squares(x, rows, tape_fill(t, m, 1, 1), tape_sub(t, y, my), &rest), 4);
    *b = tape_sub(t, my, tape_matmul_nt(t, *a, tape_mean(t, rows, TAPE_ROWS, m)));
    tape_node *r = tape_sub(t, y, tape_add(t, tape_matmul_nt(t, rows, *a), *b));
    *nu = tape_mean(t, tape_apply(t, TAPE_SQUARE, r), TAPE_ALL, twin_is(x, "OracleUnbiased") ? m - d - 1 : m);
}

static void convergence_oracle(twin_eval *x)
{
    const size_t n = op_dim(x->c, 'n'), N = (size_t)op_int(x->c, "experts");
    if (!twin_given(x, "label", n, 1, N)) return;
    tape_node **a = op_room(3 * N, sizeof *a), **b = a + N, **nu = b + N;
    size_t *of = numbers_to(n);
    for (size_t i = 0; i < N; i++) {
        size_t m = 0;
        for (size_t t = 0; t < n; t++)
            if (x->choice.of[t] == i) of[m++] = t;
        fit(x, m, of, &a[i], &b[i], &nu[i]);
    }
    twin_out(x, "a", tape_concat_rows(x->t, N, a));
    twin_out(x, "b", tape_concat_cols(x->t, N, b));
    twin_out(x, "nu", tape_concat_cols(x->t, N, nu));
    free(a);
    free(of);
}

/* --- derivatives of units (T.14) --- */

static tape_node *plus(twin_eval *x, tape_node *a, double c) { return tape_add(x->t, a, tape_fill(x->t, 1, 1, c)); }

/* phi, phi' and phi'' at z */
static void unit(twin_eval *x, tape_node *z, tape_node **value, tape_node **first, tape_node **second)
{
    tape *t = x->t;
    tape_node *zero = tape_fill(t, z->rows, z->cols, 0);
    if (op_is(x->c, "activation", "tanh")) {
        *value = tape_apply(t, TAPE_TANH, z);
        *first = tape_scale(t, plus(x, tape_apply(t, TAPE_SQUARE, *value), -1), -1);
        *second = tape_scale(t, tape_mul(t, *value, *first), -2);
    } else if (op_is(x->c, "activation", "sigmoid")) {
        tape_node *other = tape_apply(t, TAPE_SIGMOID, tape_scale(t, z, -1));
        *value = tape_apply(t, TAPE_SIGMOID, z);
        *first = tape_mul(t, *value, other);
        *second = tape_mul(t, *first, tape_sub(t, other, *value));
    } else if (op_is(x->c, "activation", "gelu")) {
        tape_node *density = tape_apply(t, TAPE_NORMAL_PDF, z);
        *value = tape_apply(t, TAPE_GELU, z);
        *first = tape_add(t, tape_apply(t, TAPE_NORMAL_CDF, z), tape_mul(t, z, density));
        *second = tape_mul(t, density, tape_scale(t, plus(x, tape_apply(t, TAPE_SQUARE, z), -2), -1));
    } else {
        *value = z;
        *first = plus(x, zero, 1);
        *second = zero;
    }
}

/* column [m,1] times rows [n,d] repeated N times, m = n N */
static tape_node *spread(twin_eval *x, tape_node *column, size_t N)
{
    tape_node *rows = twin_in(x, "x");
    size_t *of = numbers_to(rows->rows * N);
    for (size_t e = 0; e < rows->rows * N; e++) of[e] = e / N;
    tape_node *y = tape_mul(x->t, column, tape_gather_rows(x->t, rows, rows->rows * N, of));
    free(of);
    return y;
}

static void convergence_identifiability(twin_eval *x)
{
    tape *t = x->t;
    const size_t n = op_dim(x->c, 'n'), N = op_dim(x->c, 'N'), d = op_dim(x->c, 'd');
    tape_node *z = tape_add(t, tape_matmul_nt(t, twin_in(x, "x"), twin_in(x, "w")), twin_in(x, "c"));
    tape_node *value, *first, *second, **hessian = op_room(d, sizeof *hessian);
    unit(x, z, &value, &first, &second);
    tape_node *bends = spread(x, tape_view(t, second, 0, n * N, 1), N);
    for (size_t l = 0; l < d; l++) hessian[l] = spread(x, columns(x, bends, l, 1), N);
    twin_out(x, "value", value);
    twin_out(x, "slope", first);
    twin_out(x, "slopes", spread(x, tape_view(t, first, 0, n * N, 1), N));
    twin_out(x, "bend", second);
    twin_out(x, "bends", bends);
    twin_out(x, "hessian", tape_view(t, tape_concat_cols(t, d, hessian), 0, n * N * d, d));
    free(hessian);
}

const twin_entry twin_convergence[] = {
    {"convergence.density", convergence_density},
    {"convergence.density.hidden", convergence_density},
    {"convergence.loglik", convergence_loglik},
    {"convergence.loglik.hidden", convergence_loglik},
    {"convergence.hvp", convergence_hvp},
    {"convergence.sample", convergence_sample},
    {"convergence.distance", convergence_distance},
    {"convergence.voronoi", convergence_voronoi},
    {"convergence.em", convergence_em},
    {"convergence.oracle", convergence_oracle},
    {"convergence.identifiability", convergence_identifiability},
    {NULL, NULL},
};
