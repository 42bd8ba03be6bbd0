/* Convergence of competition-gated mixtures: spec/08-convergence.md. */
#include "convergence.h"

#include <math.h>
#include <stdint.h>

#ifdef __FRAMAC__
/*@ assigns \nothing; */
double fma(double x, double y, double z);
/*@ assigns \nothing; */
double sqrt(double x);
/*@ assigns \nothing; */
double fabs(double x);
#endif

static const double ln_2pi = 0x1.d67f1c864beb5p+0; /* ln 2 pi = 1.8378770664093454835606594728... */

/* --- the parameters' layout --- */

smoe_status smoe_mix_check(const smoe_mix_shape *shape)
{
    if (shape->k == 0 || shape->d == 0 || shape->topk > shape->k) return SMOE_EINVAL;
    if ((unsigned)shape->gate > SMOE_MIX_SOFTMAX || (unsigned)shape->expert > SMOE_MIX_SIGMOID) return SMOE_EINVAL;
    return (shape->expert == SMOE_MIX_LINEAR) == (shape->H == 0) ? SMOE_OK : SMOE_EINVAL;
}

size_t smoe_mix_expert_size(const smoe_mix_shape *shape)
{
    return shape->expert == SMOE_MIX_LINEAR ? shape->d + 1 : shape->H * (shape->d + 2) + 1;
}

size_t smoe_mix_variance_at(const smoe_mix_shape *shape) { return smoe_mix_expert_size(shape); }

size_t smoe_mix_beta0_at(const smoe_mix_shape *shape) { return smoe_mix_expert_size(shape) + 1; }

size_t smoe_mix_beta1_at(const smoe_mix_shape *shape)
{
    return smoe_mix_expert_size(shape) + 1 + (shape->free_weights ? 1 : 0);
}

size_t smoe_mix_stride(const smoe_mix_shape *shape)
{
    return smoe_mix_beta1_at(shape) + (shape->gate == SMOE_MIX_SOFTMAX ? shape->d : 0);
}

size_t smoe_mix_parameters(const smoe_mix_shape *shape) { return shape->k * smoe_mix_stride(shape); }

size_t smoe_mix_work(const smoe_mix_shape *shape) { return 16 * shape->k + 2 * shape->H; }

/* Sizes, then values: what every function of a shape asks of theta. */
static smoe_status check_theta(const smoe_mix_shape *shape, const double *theta)
{
    const smoe_status status = smoe_mix_check(shape);
    if (status != SMOE_OK) return status;
    if (!smoe_all_finite(smoe_mix_parameters(shape), theta)) return SMOE_EDOM;
    for (size_t i = 0; i < shape->k; i++)
        if (!(theta[i * smoe_mix_stride(shape) + smoe_mix_variance_at(shape)] > 0)) return SMOE_EDOM;
    return SMOE_OK;
}

static smoe_status check_sample(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x,
                                const double *y)
{
    if (n == 0) return SMOE_EINVAL;
    const smoe_status status = check_theta(shape, theta);
    if (status != SMOE_OK) return status;
    return smoe_all_finite(n * shape->d, x) && smoe_all_finite(n, y) ? SMOE_OK : SMOE_EDOM;
}

static smoe_status finite_or_overflow(size_t n, const double *x)
{
    return smoe_all_finite(n, x) ? SMOE_OK : SMOE_EOVRFLW;
}

static void zero(size_t n, double *x)
{
    for (size_t j = 0; j < n; j++) x[j] = 0;
}

/* --- (T.1) experts --- */

static double phi(smoe_mix_expert expert, double z)
{
    switch (expert) {
    case SMOE_MIX_TANH: return smoe_tanh(z);
    case SMOE_MIX_GELU: return smoe_gelu(z);
    case SMOE_MIX_SIGMOID: return smoe_sigmoid(z);
    default: return z;
    }
}

static double phi_deriv(smoe_mix_expert expert, double z)
{
    switch (expert) {
    case SMOE_MIX_TANH: return smoe_tanh_deriv(z);
    case SMOE_MIX_GELU: return smoe_gelu_deriv(z);
    case SMOE_MIX_SIGMOID: return smoe_sigmoid_deriv(z);
    default: return 1;
    }
}

static double phi_second_deriv(smoe_mix_expert expert, double z)
{
    switch (expert) {
    case SMOE_MIX_TANH: return -2 * smoe_tanh(z) * smoe_tanh_deriv(z);
    case SMOE_MIX_GELU: return smoe_normal_pdf(z) * (2 - z * z);
    case SMOE_MIX_SIGMOID: return smoe_sigmoid_deriv(z) * (smoe_sigmoid(-z) - smoe_sigmoid(z));
    default: return 0;
    }
}

/* Where the parts of a hidden expert stand: w at 0, then c, v, b. */
typedef struct {
    size_t c, v, b;
} parts;

static parts parts_of(const smoe_mix_shape *shape)
{
    const size_t H = shape->H, c = H * shape->d;
    return (parts){c, c + H, c + 2 * H};
}

static double mean(const smoe_mix_shape *shape, const double *eta, const double *x, double *u)
{
    const size_t d = shape->d;
    if (shape->expert == SMOE_MIX_LINEAR) return smoe_dot(d, eta, x) + eta[d]; /* (T.1), linear */
    const parts at = parts_of(shape);
    for (size_t m = 0; m < shape->H; m++)
        u[m] = phi(shape->expert, smoe_dot(d, eta + m * d, x) + eta[at.c + m]);
    return smoe_dot(shape->H, eta + at.v, u) + eta[at.b];               /* (T.1), hidden */
}

/* deta += and dx += (dx may be NULL) */
static void add_mean_vjp(const smoe_mix_shape *shape, const double *eta, const double *x, double dh, double *deta,
                         double *dx)
{
    const size_t d = shape->d;
    if (shape->expert == SMOE_MIX_LINEAR) {
        smoe_axpy(d, dh, x, deta);                                      /* (T.1'), a */
        deta[d] += dh;                                                  /* (T.1'), b */
        if (dx) smoe_axpy(d, dh, eta, dx);
        return;
    }
    const parts at = parts_of(shape);
    for (size_t m = 0; m < shape->H; m++) {
        const double z = smoe_dot(d, eta + m * d, x) + eta[at.c + m];
        const double dz = dh * eta[at.v + m] * phi_deriv(shape->expert, z);
        deta[at.v + m] += dh * phi(shape->expert, z);                   /* (T.1'), v */
        smoe_axpy(d, dz, x, deta + m * d);                              /* (T.1'), w */
        deta[at.c + m] += dz;                                           /* (T.1'), c */
        if (dx) smoe_axpy(d, dz, eta + m * d, dx);
    }
    deta[at.b] += dh;                                                   /* (T.1'), b */
}

/* The derivative of h along v. */
static double mean_tangent(const smoe_mix_shape *shape, const double *eta, const double *v, const double *x)
{
    const size_t d = shape->d;
    if (shape->expert == SMOE_MIX_LINEAR) return smoe_dot(d, v, x) + v[d];
    const parts at = parts_of(shape);
    double h = v[at.b];
    for (size_t m = 0; m < shape->H; m++) {
        const double z = smoe_dot(d, eta + m * d, x) + eta[at.c + m], zt = smoe_dot(d, v + m * d, x) + v[at.c + m];
        h += v[at.v + m] * phi(shape->expert, z) + eta[at.v + m] * phi_deriv(shape->expert, z) * zt; /* (T.6), h */
    }
    return h;
}

/* The derivative of (T.1') along v, where dh has the derivative dht: Hv += */
static void add_mean_hvp(const smoe_mix_shape *shape, const double *eta, const double *v, const double *x, double dh,
                         double dht, double *Hv)
{
    const size_t d = shape->d;
    if (shape->expert == SMOE_MIX_LINEAR) {
        smoe_axpy(d, dht, x, Hv);
        Hv[d] += dht;
        return;
    }
    const parts at = parts_of(shape);
    for (size_t m = 0; m < shape->H; m++) {
        const double z = smoe_dot(d, eta + m * d, x) + eta[at.c + m], zt = smoe_dot(d, v + m * d, x) + v[at.c + m];
        const double first = phi_deriv(shape->expert, z), out = eta[at.v + m];
        const double dzt =
            dht * out * first + dh * (v[at.v + m] * first + out * phi_second_deriv(shape->expert, z) * zt);
        Hv[at.v + m] += dht * phi(shape->expert, z) + dh * first * zt;  /* (T.6), v */
        smoe_axpy(d, dzt, x, Hv + m * d);                               /* (T.6), w */
        Hv[at.c + m] += dzt;                                            /* (T.6), c */
    }
    Hv[at.b] += dht;
}

smoe_status smoe_mix_mean(const smoe_mix_shape *shape, const double *eta, const double *x, double *work, double *h)
{
    const smoe_status status = smoe_mix_check(shape);
    if (status != SMOE_OK) return status;
    if (!smoe_all_finite(smoe_mix_expert_size(shape), eta) || !smoe_all_finite(shape->d, x)) return SMOE_EDOM;
    *h = mean(shape, eta, x, work);
    return finite_or_overflow(1, h);
}

smoe_status smoe_mix_mean_vjp(const smoe_mix_shape *shape, const double *eta, const double *x, double dh, double *deta,
                              double *dx)
{
    const smoe_status status = smoe_mix_check(shape);
    if (status != SMOE_OK) return status;
    const size_t e = smoe_mix_expert_size(shape);
    if (!smoe_all_finite(e, eta) || !smoe_all_finite(shape->d, x) || !isfinite(dh)) return SMOE_EDOM;
    zero(e, deta);
    zero(shape->d, dx);
    add_mean_vjp(shape, eta, x, dh, deta, dx);
    return smoe_all_finite(e, deta) && smoe_all_finite(shape->d, dx) ? SMOE_OK : SMOE_EOVRFLW;
}

/* --- (T.2) gates --- */

/* Below this ln(1 + e^h) is e^h to the last bit, and its logarithm h: e^-40 is 4e-18. */
static const double far_below = -40;

double smoe_mix_score(smoe_mix_gate gate, double h)
{
    switch (gate) {
    case SMOE_MIX_NORM: return fabs(h);                                 /* (T.2), norm */
    case SMOE_MIX_SOFTPLUS: return h < far_below ? h : smoe_log(smoe_softplus(h)); /* (T.2), softplus */
    default: return smoe_softplus(h);                                   /* (T.2), softmax of softplus */
    }
}

double smoe_mix_score_deriv(smoe_mix_gate gate, double h)
{
    switch (gate) {
    case SMOE_MIX_NORM: return h > 0 ? 1 : h < 0 ? -1 : 0;
    case SMOE_MIX_SOFTPLUS: return h < far_below ? 1 : smoe_sigmoid(h) / smoe_softplus(h);
    default: return smoe_sigmoid(h);
    }
}

double smoe_mix_score_second_deriv(smoe_mix_gate gate, double h)
{
    if (gate == SMOE_MIX_NORM) return 0;
    if (gate != SMOE_MIX_SOFTPLUS) return smoe_sigmoid_deriv(h);
    if (h < far_below) return 0;
    const double ratio = smoe_sigmoid(h) / smoe_softplus(h);
    return ratio * (smoe_sigmoid(-h) - ratio);
}

/* ln sum exp t_i, and p = softmax(t): N.23 and N.22 in one pass, the same bits.  Elements may be -inf; if all are, the
 * sum is 0 and so is p. */
static double log_sum_exp(size_t k, const double *t, double *p)
{
    double m = -INFINITY, sum = 0;
    for (size_t i = 0; i < k; i++)
        if (t[i] > m) m = t[i];
    for (size_t i = 0; i < k; i++) {
        p[i] = t[i] > -INFINITY ? smoe_exp(t[i] - m) : 0;
        sum += p[i];
    }
    for (size_t i = 0; i < k && sum > 0; i++) p[i] = p[i] / sum;
    return sum > 0 ? m + smoe_log(sum) : -INFINITY;
}

/* How many come before s_i: larger ones, and equal ones with a lower index. */
static size_t rank_of(size_t k, const double *s, size_t i)
{
    size_t before = 0;
    for (size_t j = 0; j < k; j++) before += s[j] > s[i] || (s[j] == s[i] && j < i);
    return before;
}

/* g_i = -inf outside the K largest; how sure that is. */
static double keep_largest(size_t k, size_t K, const double *s, double *g)
{
    double least = 0, next = 0;
    for (size_t i = 0; i < k; i++) {
        const size_t rank = rank_of(k, s, i);
        if (rank + 1 == K) least = s[i];
        if (rank == K) next = s[i];
        if (rank >= K) g[i] = -INFINITY;                                /* (T.2), top K */
    }
    return least - next;
}

/* Parts of the workspace, k doubles each; u for hidden units. */
typedef struct {
    double *logpi, *h, *nu, *constant; /* the rows of `at` */
    double *score, *t, *pi, *q, *dh, *ht, *gt, *tt, *u;
} scratch;

static scratch scratch_of(const smoe_mix_shape *shape, double *work)
{
    const size_t k = shape->k;
    return (scratch){work,         work + k,     work + 2 * k, work + 3 * k,  work + 4 * k,  work + 5 * k, work + 6 * k,
                     work + 7 * k, work + 8 * k, work + 9 * k, work + 10 * k, work + 11 * k, work + 16 * k};
}

/* What does not depend on x. */
static void constants(const smoe_mix_shape *shape, const double *theta, const scratch *s)
{
    for (size_t i = 0; i < shape->k; i++) {
        s->nu[i] = theta[i * smoe_mix_stride(shape) + smoe_mix_variance_at(shape)];
        s->constant[i] = -0.5 * (ln_2pi + smoe_log(s->nu[i]));          /* (T.3), the part without y */
    }
}

/* (T.1) and (T.2) at x; returns the margin. */
static double place(const smoe_mix_shape *shape, const double *theta, const double *x, const scratch *s)
{
    const size_t k = shape->k, p = smoe_mix_stride(shape), beta1 = smoe_mix_beta1_at(shape);
    double margin = INFINITY;
    for (size_t i = 0; i < k; i++) {
        const double *atom = theta + i * p;
        s->h[i] = mean(shape, atom, x, s->u);
        s->score[i] = shape->gate == SMOE_MIX_SOFTMAX ? smoe_dot(shape->d, atom + beta1, x) /* (T.2), softmax */
                                                      : smoe_mix_score(shape->gate, s->h[i]);
        s->t[i] = shape->free_weights ? s->score[i] + atom[smoe_mix_beta0_at(shape)] : s->score[i];
    }
    if (shape->topk > 0 && shape->topk < k) margin = keep_largest(k, shape->topk, s->score, s->t);
    const double lse = log_sum_exp(k, s->t, s->pi);
    for (size_t i = 0; i < k; i++) s->logpi[i] = s->t[i] - lse;         /* (T.2) */
    return margin;
}

/* (T.4) with the responsibilities, after place. */
static double density(size_t k, double y, const scratch *s)
{
    for (size_t i = 0; i < k; i++) {
        const double r = y - s->h[i];
        s->t[i] = s->logpi[i] + (s->constant[i] - 0.5 * (r * r / s->nu[i])); /* (T.3) */
    }
    return log_sum_exp(k, s->t, s->q);                                  /* (T.4) */
}

smoe_status smoe_mix_at(const smoe_mix_shape *shape, const double *theta, const double *x, double *work, double *at,
                        double *margin)
{
    const smoe_status status = check_theta(shape, theta);
    if (status != SMOE_OK) return status;
    if (!smoe_all_finite(shape->d, x)) return SMOE_EDOM;
    const scratch s = scratch_of(shape, work);
    constants(shape, theta, &s);
    const double sure = place(shape, theta, x, &s);
    if (margin) *margin = sure;
    for (size_t j = 0; j < 4 * shape->k; j++) at[j] = work[j];
    return smoe_all_finite(shape->k, s.pi) && smoe_all_finite(3 * shape->k, at + shape->k) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_mix_weights(const smoe_mix_shape *shape, const double *theta, const double *x, double *work,
                             double *pi, double *margin)
{
    const smoe_status status = check_theta(shape, theta);
    if (status != SMOE_OK) return status;
    if (!smoe_all_finite(shape->d, x)) return SMOE_EDOM;
    const scratch s = scratch_of(shape, work);
    const double sure = place(shape, theta, x, &s);
    if (margin) *margin = sure;
    for (size_t i = 0; i < shape->k; i++) pi[i] = s.pi[i];
    return finite_or_overflow(shape->k, pi);
}

double smoe_normal_log_density(double y, double mu, double nu)
{
    const double r = y - mu;
    return -0.5 * (ln_2pi + smoe_log(nu)) - 0.5 * (r * r / nu);         /* (T.3) */
}

double smoe_mixture_log_density(size_t k, const double *at, double y)
{
    const double *logpi = at, *h = at + k, *nu = at + 2 * k, *constant = at + 3 * k;
    double m = -INFINITY, sum = 0;
    for (size_t i = 0; i < k; i++) {
        const double r = y - h[i];
        m = fmax(m, logpi[i] + (constant[i] - 0.5 * (r * r / nu[i])));
    }
    for (size_t i = 0; i < k && m > -INFINITY; i++) {
        const double r = y - h[i];
        sum += smoe_exp(logpi[i] + (constant[i] - 0.5 * (r * r / nu[i])) - m);
    }
    return sum > 0 ? m + smoe_log(sum) : -INFINITY;                     /* (T.4) */
}

/* --- (T.4), (T.5) and their gradients --- */

/* dtheta += and dx += and dy += g times the gradient of ln p(y|x), after place and density. */
static void add_gradient(const smoe_mix_shape *shape, const double *theta, const double *x, double y, double g,
                         const scratch *s, double *dtheta, double *dx, double *dy)
{
    const size_t p = smoe_mix_stride(shape), d = shape->d, beta1 = smoe_mix_beta1_at(shape);
    for (size_t i = 0; i < shape->k; i++) {
        if (s->logpi[i] == -INFINITY) continue;
        const double *atom = theta + i * p;
        double *datom = dtheta + i * p;
        const double nu = s->nu[i], r = y - s->h[i], dn = g * s->q[i], dg = g * (s->q[i] - s->pi[i]);
        double dh = dn * (r / nu);                                      /* (T.4'), the density's part */
        if (shape->gate != SMOE_MIX_SOFTMAX) dh += dg * smoe_mix_score_deriv(shape->gate, s->h[i]); /* the gate's */
        add_mean_vjp(shape, atom, x, dh, datom, dx);
        datom[smoe_mix_variance_at(shape)] += dn * (0.5 * ((r * r / nu - 1) / nu)); /* (T.4'), nu */
        if (shape->free_weights) datom[smoe_mix_beta0_at(shape)] += dg; /* (T.4'), beta0 */
        if (dy) *dy -= dn * (r / nu);                                   /* (T.4'), y */
        if (shape->gate != SMOE_MIX_SOFTMAX) continue;
        smoe_axpy(d, dg, x, datom + beta1);                             /* (T.4'), beta1 */
        if (dx) smoe_axpy(d, dg, atom + beta1, dx);
    }
}

smoe_status smoe_mix_log_density(const smoe_mix_shape *shape, const double *theta, const double *x, double y,
                                 double *work, double *logp)
{
    return smoe_mix_loglik(shape, 1, theta, x, &y, work, logp);
}

smoe_status smoe_mix_log_density_vjp(const smoe_mix_shape *shape, const double *theta, const double *x, double y,
                                     double dlogp, double *work, double *dtheta, double *dx, double *dy)
{
    return smoe_mix_loglik_vjp(shape, 1, theta, x, &y, dlogp, work, dtheta, dx, dy);
}

smoe_status smoe_mix_loglik(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x,
                            const double *y, double *work, double *loglik)
{
    const smoe_status status = check_sample(shape, n, theta, x, y);
    if (status != SMOE_OK) return status;
    const scratch s = scratch_of(shape, work);
    constants(shape, theta, &s);
    double sum = 0;
    for (size_t t = 0; t < n; t++) {
        place(shape, theta, x + t * shape->d, &s);
        sum += density(shape->k, y[t], &s);
    }
    *loglik = sum / (double)n;                                          /* (T.5) */
    return finite_or_overflow(1, loglik);
}

/* (T.5) and its gradient times dloglik; dx and dy may be NULL. */
static smoe_status loglik_and_gradient(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x,
                                       const double *y, double dloglik, double *work, double *loglik, double *dtheta,
                                       double *dx, double *dy)
{
    const size_t d = shape->d;
    const scratch s = scratch_of(shape, work);
    const double g = dloglik / (double)n;
    double sum = 0;
    constants(shape, theta, &s);
    zero(smoe_mix_parameters(shape), dtheta);
    if (dx) zero(n * d, dx);
    if (dy) zero(n, dy);
    for (size_t t = 0; t < n; t++) {
        place(shape, theta, x + t * d, &s);
        sum += density(shape->k, y[t], &s);
        add_gradient(shape, theta, x + t * d, y[t], g, &s, dtheta, dx ? dx + t * d : NULL, dy ? dy + t : NULL); /* (T.5') */
    }
    *loglik = sum / (double)n;                                          /* (T.5) */
    if (!isfinite(*loglik) || (dx && !smoe_all_finite(n * d, dx)) || (dy && !smoe_all_finite(n, dy)))
        return SMOE_EOVRFLW;
    return finite_or_overflow(smoe_mix_parameters(shape), dtheta);
}

smoe_status smoe_mix_loglik_vjp(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x,
                                const double *y, double dloglik, double *work, double *dtheta, double *dx, double *dy)
{
    const smoe_status status = check_sample(shape, n, theta, x, y);
    if (status != SMOE_OK) return status;
    if (!isfinite(dloglik)) return SMOE_EDOM;
    double loglik;
    return loglik_and_gradient(shape, n, theta, x, y, dloglik, work, &loglik, dtheta, dx, dy);
}

smoe_status smoe_mix_loglik_score(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x,
                                  const double *y, double *work, double *loglik, double *score)
{
    const smoe_status status = check_sample(shape, n, theta, x, y);
    if (status != SMOE_OK) return status;
    return loglik_and_gradient(shape, n, theta, x, y, 1, work, loglik, score, NULL, NULL);
}

/* --- (T.6) the Hessian along v --- */

/* p_i (t_i - sum_j p_j t_j): the derivative of softmax (N.22') along t */
static double centred(size_t k, const double *p, const double *t, size_t i)
{
    return p[i] * (t[i] - smoe_dot(k, p, t));
}

/* Tangents along v of the means, the gate's scores with free weights, and the joint terms: s->ht, s->gt, s->tt. */
static void tangents(const smoe_mix_shape *shape, const double *theta, const double *v, const double *x, double y,
                     const scratch *s)
{
    const size_t p = smoe_mix_stride(shape);
    for (size_t i = 0; i < shape->k; i++) {
        const double *vi = v + i * p, nu = s->nu[i], r = y - s->h[i];
        s->ht[i] = s->gt[i] = s->tt[i] = 0;
        if (s->logpi[i] == -INFINITY) continue;
        s->ht[i] = mean_tangent(shape, theta + i * p, vi, x);
        s->gt[i] = shape->gate == SMOE_MIX_SOFTMAX ? smoe_dot(shape->d, vi + smoe_mix_beta1_at(shape), x)
                                                   : smoe_mix_score_deriv(shape->gate, s->h[i]) * s->ht[i];
        if (shape->free_weights) s->gt[i] += vi[smoe_mix_beta0_at(shape)];
        s->tt[i] = s->gt[i] + r / nu * s->ht[i] + 0.5 * ((r * r / nu - 1) / nu) * vi[smoe_mix_variance_at(shape)];
    }
}

/* Hv += g times the derivative of (T.4') along v, after place, density and tangents. */
static void add_hvp(const smoe_mix_shape *shape, const double *theta, const double *v, const double *x, double y,
                    double g, const scratch *s, double *Hv)
{
    const size_t k = shape->k, p = smoe_mix_stride(shape), nu_at = smoe_mix_variance_at(shape);
    for (size_t i = 0; i < k; i++) {
        if (s->logpi[i] == -INFINITY) continue;
        const double *vi = v + i * p, nu = s->nu[i], r = y - s->h[i], vnu = vi[nu_at], ht = s->ht[i];
        double *out = Hv + i * p;
        const double dn = g * s->q[i], dg = g * (s->q[i] - s->pi[i]);
        const double dnt = g * centred(k, s->q, s->tt, i), dgt = dnt - g * centred(k, s->pi, s->gt, i);
        double dh = dn * (r / nu), dht = dnt * (r / nu) - dn * (ht / nu + r / nu * (vnu / nu));
        if (shape->gate != SMOE_MIX_SOFTMAX) {
            const double first = smoe_mix_score_deriv(shape->gate, s->h[i]);
            dh += dg * first;
            dht += dgt * first + dg * smoe_mix_score_second_deriv(shape->gate, s->h[i]) * ht;
        }
        add_mean_hvp(shape, theta + i * p, vi, x, dh, dht, out);        /* (T.6), eta */
        out[nu_at] += dnt * (0.5 * ((r * r / nu - 1) / nu)) +
                      dn * ((0.5 - r * r / nu) / nu * (vnu / nu) - r / nu * (ht / nu)); /* (T.6), nu */
        if (shape->free_weights) out[smoe_mix_beta0_at(shape)] += dgt;  /* (T.6), beta0 */
        if (shape->gate == SMOE_MIX_SOFTMAX) smoe_axpy(shape->d, dgt, x, out + smoe_mix_beta1_at(shape)); /* beta1 */
    }
}

smoe_status smoe_mix_hvp(const smoe_mix_shape *shape, size_t n, const double *theta, const double *v, const double *x,
                         const double *y, double *work, double *Hv)
{
    const smoe_status status = check_sample(shape, n, theta, x, y);
    if (status != SMOE_OK) return status;
    const size_t parameters = smoe_mix_parameters(shape), d = shape->d;
    if (!smoe_all_finite(parameters, v)) return SMOE_EDOM;
    const scratch s = scratch_of(shape, work);
    constants(shape, theta, &s);
    zero(parameters, Hv);
    for (size_t t = 0; t < n; t++) {
        place(shape, theta, x + t * d, &s);
        if (!isfinite(density(shape->k, y[t], &s))) return SMOE_EOVRFLW;
        tangents(shape, theta, v, x + t * d, y[t], &s);
        add_hvp(shape, theta, v, x + t * d, y[t], 1 / (double)n, &s, Hv); /* (T.6) */
    }
    return finite_or_overflow(parameters, Hv);
}

/* --- (T.7) sampling --- */

/* The label that u picks, and how far u is from another one. */
static size_t pick(size_t k, const double *pi, double u, double *margin)
{
    size_t label = k, last = 0;
    double c = 0;
    for (size_t i = 0; i < k; i++)
        if (pi[i] > 0) last = i;
    *margin = INFINITY;
    for (size_t i = 0; i < k; i++) {
        c += pi[i];
        if (pi[i] > 0 && i < last) *margin = fmin(*margin, fabs(u - c));
        if (label == k && pi[i] > 0 && (u < c || i == last)) label = i; /* (T.7), label */
    }
    return label;
}

smoe_status smoe_mix_sample(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x,
                            const double *u, const double *z, double *work, size_t *label, double *margin, double *y)
{
    const smoe_status status = check_theta(shape, theta);
    if (status != SMOE_OK) return status;
    if (!smoe_all_finite(n * shape->d, x) || !smoe_all_finite(n, z)) return SMOE_EDOM;
    for (size_t t = 0; t < n; t++)
        if (!(u[t] >= 0 && u[t] < 1)) return SMOE_EDOM;
    const scratch s = scratch_of(shape, work);
    for (size_t t = 0; t < n; t++) {
        double sure = place(shape, theta, x + t * shape->d, &s), from_u;
        if (!smoe_all_finite(shape->k, s.pi) || !smoe_all_finite(shape->k, s.h)) return SMOE_EOVRFLW;
        label[t] = pick(shape->k, s.pi, u[t], &from_u);
        const double nu = theta[label[t] * smoe_mix_stride(shape) + smoe_mix_variance_at(shape)];
        y[t] = s.h[label[t]] + sqrt(nu) * z[t];                         /* (T.7) */
        if (margin) margin[t] = fmin(sure, from_u);
    }
    return finite_or_overflow(n, y);
}

/* --- (T.8) distances --- */

double smoe_total_variation_integrand(double logp, double logq)
{
    return 0.5 * fabs(smoe_exp(logp) - smoe_exp(logq));                 /* (T.8), V */
}

double smoe_hellinger_integrand(double logp, double logq)
{
    const double off = smoe_exp(0.5 * logp) - smoe_exp(0.5 * logq);
    return 0.5 * (off * off);                                           /* (T.8), h^2 */
}

void smoe_mixture_interval(size_t k, const double *at, double r, double *lo, double *hi)
{
    *lo = INFINITY;
    *hi = -INFINITY;
    for (size_t i = 0; i < k; i++) {
        if (at[i] == -INFINITY) continue;
        const double reach = r * sqrt(at[2 * k + i]);
        *lo = fmin(*lo, at[k + i] - reach);
        *hi = fmax(*hi, at[k + i] + reach);
    }
}

double smoe_mixture_outside(size_t k, const double *at, double lo, double hi)
{
    double sum = 0;
    for (size_t i = 0; i < k; i++) {
        const double sigma = sqrt(at[2 * k + i]), h = at[k + i];
        sum += smoe_exp(at[i]) * (smoe_normal_cdf((lo - h) / sigma) + smoe_normal_cdf((h - hi) / sigma));
    }
    return sum;
}
