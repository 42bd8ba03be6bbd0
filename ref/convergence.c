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
/*@ assigns \nothing; */
double fmin(double x, double y);
/*@ assigns \nothing; */
double fmax(double x, double y);
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
/*@ requires \valid_read(shape) && smoe_size(mix_p(shape) + 1) && smoe_size(mix_all(shape));
    requires \valid_read(theta + (0 .. mix_all(shape)-1));
    assigns \nothing;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM;
    ensures \result == SMOE_OK ==> shape->k > 0 && shape->d > 0 && shape->topk <= shape->k;
    ensures \result == SMOE_OK ==> (shape->expert == SMOE_MIX_LINEAR <==> shape->H == 0); */
static smoe_status check_theta(const smoe_mix_shape *shape, const double *theta)
{
    const smoe_status status = smoe_mix_check(shape);
    if (status != SMOE_OK) return status;
    if (!smoe_all_finite(smoe_mix_parameters(shape), theta)) return SMOE_EDOM;
    /*@ assert 0 <= shape->H*(shape->d + 2); */
    /*@ assert 0 <= mix_e(shape) < mix_p(shape); */
    /*@ ghost size_t e = shape->d + 1;
        if (shape->expert != SMOE_MIX_LINEAR) e = shape->H * (shape->d + 2) + 1;
        const size_t p = e + 1 + (shape->free_weights ? 1 : 0) + (shape->gate == SMOE_MIX_SOFTMAX ? shape->d : 0); */
    /*@ assert p == mix_p(shape); */
    /*@ loop invariant 0 <= i <= shape->k;
        loop assigns i; loop variant shape->k - i; */
    for (size_t i = 0; i < shape->k; i++)
        //@ ghost row_is_inside(i, shape->k, p);
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

/*@ requires \valid_read(x + (0 .. n-1));
    assigns \nothing;
    ensures \result == SMOE_OK || \result == SMOE_EOVRFLW; */
static smoe_status finite_or_overflow(size_t n, const double *x)
{
    return smoe_all_finite(n, x) ? SMOE_OK : SMOE_EOVRFLW;
}

/*@ requires \valid(x + (0 .. n-1));
    assigns x[0 .. n-1]; */
static void zero(size_t n, double *x)
{
    /*@ loop invariant 0 <= j <= n;
        loop assigns j, x[0 .. n-1]; loop variant n - j; */
    for (size_t j = 0; j < n; j++) x[j] = 0;
}

/* --- (T.1) experts --- */

/*@ assigns \nothing; */
static double phi(smoe_mix_expert expert, double z)
{
    switch (expert) {
    case SMOE_MIX_TANH:
        return smoe_tanh(z);
    case SMOE_MIX_GELU:
        return smoe_gelu(z);
    case SMOE_MIX_SIGMOID:
        return smoe_sigmoid(z);
    default:
        return z;
    }
}

/*@ assigns \nothing; */
static double phi_deriv(smoe_mix_expert expert, double z)
{
    switch (expert) {
    case SMOE_MIX_TANH:
        return smoe_tanh_deriv(z);
    case SMOE_MIX_GELU:
        return smoe_gelu_deriv(z);
    case SMOE_MIX_SIGMOID:
        return smoe_sigmoid_deriv(z);
    default:
        return 1;
    }
}

static double phi_second_deriv(smoe_mix_expert expert, double z)
{
    switch (expert) {
    case SMOE_MIX_TANH:
        return -2 * smoe_tanh(z) * smoe_tanh_deriv(z);
    case SMOE_MIX_GELU:
        return smoe_normal_pdf(z) * (2 - z * z);
    case SMOE_MIX_SIGMOID:
        return smoe_sigmoid_deriv(z) * (smoe_sigmoid(-z) - smoe_sigmoid(z));
    default:
        return 0;
    }
}

/* Where the parts of a hidden expert stand: w at 0, then c, v, b. */
typedef struct {
    size_t c, v, b;
} parts;

/*@ requires \valid_read(shape) && shape->expert != SMOE_MIX_LINEAR && smoe_size(mix_e(shape));
    assigns \nothing;
    ensures \result.c == shape->H*shape->d && \result.v == \result.c + shape->H && \result.b == \result.v + shape->H; */
static parts parts_of(const smoe_mix_shape *shape)
{
    const size_t H = shape->H, c = H * shape->d;
    return (parts){c, c + H, c + 2 * H};
}

/*@ requires \valid_read(shape) && smoe_size(mix_e(shape)) && shape->d > 0;
    requires \valid_read(eta + (0 .. mix_e(shape)-1)) && \valid_read(x + (0 .. shape->d-1));
    requires \valid(u + (0 .. shape->H-1));
    requires \separated(u + (0 .. shape->H-1), eta + (0 .. mix_e(shape)-1), shape);
    requires \separated(u + (0 .. shape->H-1), x + (0 .. shape->d-1));
    assigns u[0 .. shape->H-1]; */
static double mean(const smoe_mix_shape *shape, const double *eta, const double *x, double *u)
{
    const size_t d = shape->d;
    if (shape->expert == SMOE_MIX_LINEAR) return smoe_dot(d, eta, x) + eta[d]; /* (T.1), linear */
    const parts at = parts_of(shape);
    /*@ loop invariant 0 <= m <= shape->H;
        loop assigns m, u[0 .. shape->H-1]; loop variant shape->H - m; */
    for (size_t m = 0; m < shape->H; m++)
        //@ ghost row_is_inside(m, shape->H, d);
        u[m] = phi(shape->expert, smoe_dot(d, eta + m * d, x) + eta[at.c + m]);
    return smoe_dot(shape->H, eta + at.v, u) + eta[at.b]; /* (T.1), hidden */
}

/* deta += and dx += (dx may be NULL) */
/*@ requires \valid_read(shape) && smoe_size(mix_e(shape)) && shape->d > 0;
    requires \valid_read(eta + (0 .. mix_e(shape)-1)) && \valid_read(x + (0 .. shape->d-1));
    requires \valid(deta + (0 .. mix_e(shape)-1)) && (dx == \null || \valid(dx + (0 .. shape->d-1)));
    requires \separated(deta + (0 .. mix_e(shape)-1), eta + (0 .. mix_e(shape)-1), shape);
    requires \separated(deta + (0 .. mix_e(shape)-1), x + (0 .. shape->d-1));
    requires dx != \null ==> \separated(dx + (0 .. shape->d-1), eta + (0 .. mix_e(shape)-1), shape);
    requires dx != \null ==> \separated(dx + (0 .. shape->d-1), x + (0 .. shape->d-1));
    requires dx != \null ==> \separated(dx + (0 .. shape->d-1), deta + (0 .. mix_e(shape)-1));
    assigns deta[0 .. mix_e(shape)-1], dx[0 .. shape->d-1]; */
static void add_mean_vjp(const smoe_mix_shape *shape, const double *eta, const double *x, double dh, double *deta,
                         double *dx)
{
    const size_t d = shape->d;
    if (shape->expert == SMOE_MIX_LINEAR) {
        smoe_axpy(d, dh, x, deta); /* (T.1'), a */
        deta[d] += dh; /* (T.1'), b */
        if (dx) smoe_axpy(d, dh, eta, dx);
        return;
    }
    const parts at = parts_of(shape);
    /*@ loop invariant 0 <= m <= shape->H;
        loop assigns m, deta[0 .. mix_e(shape)-1], dx[0 .. d-1]; loop variant shape->H - m; */
    for (size_t m = 0; m < shape->H; m++) {
        //@ ghost row_is_inside(m, shape->H, d);
        const double z = smoe_dot(d, eta + m * d, x) + eta[at.c + m];
        const double dz = dh * eta[at.v + m] * phi_deriv(shape->expert, z);
        deta[at.v + m] += dh * phi(shape->expert, z); /* (T.1'), v */
        smoe_axpy(d, dz, x, deta + m * d); /* (T.1'), w */
        deta[at.c + m] += dz; /* (T.1'), c */
        if (dx) smoe_axpy(d, dz, eta + m * d, dx);
    }
    deta[at.b] += dh; /* (T.1'), b */
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
        Hv[at.v + m] += dht * phi(shape->expert, z) + dh * first * zt; /* (T.6), v */
        smoe_axpy(d, dzt, x, Hv + m * d); /* (T.6), w */
        Hv[at.c + m] += dzt; /* (T.6), c */
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

/* A score and its derivative.  Softplus (N.16) and sigmoid (N.15) come from one exponential, with the bits of
 * smoe_softplus and smoe_sigmoid. */
/*@ requires \valid(slope);
    assigns *slope; */
static double score_and_slope(smoe_mix_gate gate, double h, double *slope)
{
    if (gate == SMOE_MIX_NORM) {
        *slope = h > 0 ? 1 : h < 0 ? -1 : 0;
        return fabs(h); /* (T.2), norm */
    }
    if (gate == SMOE_MIX_SOFTPLUS && h < far_below) {
        *slope = 1;
        return h;
    }
    const double e = smoe_exp(-fabs(h)), sigma = (h >= 0 ? 1 : e) / (1 + e), s = smoe_log1p(e) + (h > 0 ? h : 0);
    *slope = gate == SMOE_MIX_SOFTPLUS ? sigma / s : sigma;
    return gate == SMOE_MIX_SOFTPLUS ? smoe_log(s) : s; /* (T.2), softplus; softmax of softplus */
}

double smoe_mix_score(smoe_mix_gate gate, double h)
{
    double slope;
    return score_and_slope(gate, h, &slope);
}

double smoe_mix_score_deriv(smoe_mix_gate gate, double h)
{
    double slope;
    score_and_slope(gate, h, &slope);
    return slope;
}

double smoe_mix_score_second_deriv(smoe_mix_gate gate, double h)
{
    if (gate == SMOE_MIX_NORM) return 0;
    if (gate != SMOE_MIX_SOFTPLUS) return smoe_sigmoid_deriv(h);
    if (h < far_below) return 0;
    const double ratio = smoe_sigmoid(h) / smoe_softplus(h);
    return ratio * (smoe_sigmoid(-h) - ratio);
}

/* e^gap, and the largest term's is e^0 = 1. */
/*@ assigns \nothing; */
static double exp_of_gap(double gap) { return gap < 0 ? smoe_exp(gap) : 1 + gap; }

/* ln sum exp t_i, and p = softmax(t): N.23 and N.22 in one pass, the same bits.  Elements may be -inf; if all are, the
 * sum is 0 and so is p. */
static double log_sum_exp(size_t k, const double *t, double *p)
{
    double m = -INFINITY, sum = 0;
    for (size_t i = 0; i < k; i++)
        if (t[i] > m) m = t[i];
    for (size_t i = 0; i < k; i++) {
        p[i] = t[i] > -INFINITY ? exp_of_gap(t[i] - m) : 0;
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
        if (rank >= K) g[i] = -INFINITY; /* (T.2), top K */
    }
    return least - next;
}

/* Parts of the workspace, k doubles each; u for hidden units. */
typedef struct {
    double *logpi, *h, *nu, *constant; /* the rows of `at` */
    double *score, *t, *pi, *q, *slope, *ht, *gt, *tt, *u; /* slope: of the score, at h */
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
        s->constant[i] = -0.5 * (ln_2pi + smoe_log(s->nu[i])); /* (T.3), the part without y */
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
                                                      : score_and_slope(shape->gate, s->h[i], s->slope + i);
        s->t[i] = shape->free_weights ? s->score[i] + atom[smoe_mix_beta0_at(shape)] : s->score[i];
    }
    if (shape->topk > 0 && shape->topk < k) margin = keep_largest(k, shape->topk, s->score, s->t);
    const double lse = log_sum_exp(k, s->t, s->pi);
    for (size_t i = 0; i < k; i++) s->logpi[i] = s->t[i] - lse; /* (T.2) */
    return margin;
}

/* Are the weights numbers, and is there one?  If all scores overflow to -inf, there is none. */
static bool weighed(size_t k, const scratch *s)
{
    bool any = false;
    for (size_t i = 0; i < k; i++) any = any || s->pi[i] > 0;
    return any && smoe_all_finite(k, s->pi);
}

/* (T.4) with the responsibilities, after place. */
static double density(size_t k, double y, const scratch *s)
{
    for (size_t i = 0; i < k; i++) {
        const double r = y - s->h[i];
        s->t[i] = s->logpi[i] + (s->constant[i] - 0.5 * (r * r / s->nu[i])); /* (T.3) */
    }
    return log_sum_exp(k, s->t, s->q); /* (T.4) */
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
    return weighed(shape->k, &s) && smoe_all_finite(3 * shape->k, at + shape->k) ? SMOE_OK : SMOE_EOVRFLW;
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
    return weighed(shape->k, &s) ? SMOE_OK : SMOE_EOVRFLW;
}

double smoe_normal_log_density(double y, double mu, double nu)
{
    const double r = y - mu;
    return -0.5 * (ln_2pi + smoe_log(nu)) - 0.5 * (r * r / nu); /* (T.3) */
}

double smoe_mixture_log_density(size_t k, const double *at, double y)
{
    const double *logpi = at, *h = at + k, *nu = at + 2 * k, *constant = at + 3 * k;
    double m = -INFINITY, sum = 0;
    /*@ loop invariant 0 <= i <= k;
        loop assigns i, m; loop variant k - i; */
    for (size_t i = 0; i < k; i++) {
        const double r = y - h[i];
        m = fmax(m, logpi[i] + (constant[i] - 0.5 * (r * r / nu[i])));
    }
    /*@ loop invariant 0 <= i <= k;
        loop assigns i, sum; loop variant k - i; */
    for (size_t i = 0; i < k && m > -INFINITY; i++) {
        const double r = y - h[i];
        sum += exp_of_gap(logpi[i] + (constant[i] - 0.5 * (r * r / nu[i])) - m);
    }
    return sum > 0 ? m + smoe_log(sum) : -INFINITY; /* (T.4) */
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
        double dh = dn * (r / nu); /* (T.4'), the density's part */
        if (shape->gate != SMOE_MIX_SOFTMAX) dh += dg * s->slope[i]; /* the gate's */
        add_mean_vjp(shape, atom, x, dh, datom, dx);
        datom[smoe_mix_variance_at(shape)] += dn * (0.5 * ((r * r / nu - 1) / nu)); /* (T.4'), nu */
        if (shape->free_weights) datom[smoe_mix_beta0_at(shape)] += dg; /* (T.4'), beta0 */
        if (dy) *dy -= dn * (r / nu); /* (T.4'), y */
        if (shape->gate != SMOE_MIX_SOFTMAX) continue;
        smoe_axpy(d, dg, x, datom + beta1); /* (T.4'), beta1 */
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
    *loglik = sum / (double)n; /* (T.5) */
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
        add_gradient(shape, theta, x + t * d, y[t], g, &s, dtheta, dx ? dx + t * d : NULL,
                     dy ? dy + t : NULL); /* (T.5') */
    }
    *loglik = sum / (double)n; /* (T.5) */
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
                                                   : s->slope[i] * s->ht[i];
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
            dh += dg * s->slope[i];
            dht += dgt * s->slope[i] + dg * smoe_mix_score_second_deriv(shape->gate, s->h[i]) * ht;
        }
        add_mean_hvp(shape, theta + i * p, vi, x, dh, dht, out); /* (T.6), eta */
        out[nu_at] += dnt * (0.5 * ((r * r / nu - 1) / nu)) +
                      dn * ((0.5 - r * r / nu) / nu * (vnu / nu) - r / nu * (ht / nu)); /* (T.6), nu */
        if (shape->free_weights) out[smoe_mix_beta0_at(shape)] += dgt; /* (T.6), beta0 */
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
        if (!weighed(shape->k, &s) || !smoe_all_finite(shape->k, s.h)) return SMOE_EOVRFLW;
        label[t] = pick(shape->k, s.pi, u[t], &from_u);
        const double nu = theta[label[t] * smoe_mix_stride(shape) + smoe_mix_variance_at(shape)];
        y[t] = s.h[label[t]] + sqrt(nu) * z[t]; /* (T.7) */
        if (margin) margin[t] = fmin(sure, from_u);
    }
    return finite_or_overflow(n, y);
}

/* --- (T.8) distances --- */

double smoe_total_variation_integrand(double logp, double logq)
{
    return 0.5 * fabs(smoe_exp(logp) - smoe_exp(logq)); /* (T.8), V */
}

double smoe_hellinger_integrand(double logp, double logq)
{
    const double off = smoe_exp(0.5 * logp) - smoe_exp(0.5 * logq);
    return 0.5 * (off * off); /* (T.8), h^2 */
}

void smoe_mixture_interval(size_t k, const double *at, double r, double *lo, double *hi)
{
    *lo = INFINITY;
    *hi = -INFINITY;
    /*@ loop invariant 0 <= i <= k;
        loop assigns i, *lo, *hi; loop variant k - i; */
    for (size_t i = 0; i < k; i++) {
        /*@ assert at[2*k + i] > 0; */
        if (at[i] == -INFINITY) continue;
        const double reach = r * sqrt(at[2 * k + i]);
        *lo = fmin(*lo, at[k + i] - reach);
        *hi = fmax(*hi, at[k + i] + reach);
    }
}

double smoe_mixture_outside(size_t k, const double *at, double lo, double hi)
{
    double sum = 0;
    /*@ loop invariant 0 <= i <= k;
        loop assigns i, sum; loop variant k - i; */
    for (size_t i = 0; i < k; i++) {
        /*@ assert at[2*k + i] > 0; */
        const double sigma = sqrt(at[2 * k + i]), h = at[k + i];
        sum += smoe_exp(at[i]) * (smoe_normal_cdf((lo - h) / sigma) + smoe_normal_cdf((h - hi) / sigma));
    }
    return sum;
}

/* The Gauss-Legendre rule with 10 points on [-1,1]: the zeros above 0 of the Legendre polynomial P_10, and their weights
 * 2/((1 - x^2) P_10'(x)^2). */
static const double gauss_point[] = {0x1.30e507891e27ap-3, 0x1.bbcc009016adcp-2, 0x1.5bdb9228de198p-1,
                                     0x1.bae995e9cb2f3p-1, 0x1.f2a3e062af2d8p-1};
static const double gauss_weight[] = {0x1.2e9de7014d6efp-2, 0x1.13baa7a559bfep-2, 0x1.c0b059d00bc31p-3,
                                      0x1.32138c878efe5p-3, 0x1.1115f8b62dc1fp-4};

enum { VARIATION, SQUARE, MASS, INTEGRALS }; /* 1/2 int |p-q|, 1/2 int (sqrt p - sqrt q)^2, 1/2 int (p+q) */
enum { DEPTH = 40, SPLITS = 4096 }; /* of a panel; of all panels at one x */
static const double reach = 12; /* standard deviations: 3.6e-33 of the mass is beyond */

typedef struct {
    size_t kp, kq;
    const double *p, *q; /* [4,k] */
    double noise, tolerance; /* of a panel, relative to its mass: of roundings; what is asked */
    size_t splits;
} quadrature;

typedef struct {
    double a, b, part[INTEGRALS];
    bool clear; /* p - q has one sign, as far as the points tell */
    int depth;
} panel;

/* ln p/q at y; what the integrands are there */
static double ratio_at(const quadrature *g, double y, double *f)
{
    const double logp = smoe_mixture_log_density(g->kp, g->p, y), logq = smoe_mixture_log_density(g->kq, g->q, y);
    f[VARIATION] = smoe_total_variation_integrand(logp, logq);
    f[SQUARE] = smoe_hellinger_integrand(logp, logq);
    f[MASS] = 0.5 * (smoe_exp(logp) + smoe_exp(logq));
    return logp - logq;
}

/* Ten points and both ends.  The sign of p - q is clear if ln p/q has no other and is monotone, or does not move from point
 * to point by as much as it is away from 0. */
static panel gauss(const quadrature *g, double a, double b, int depth)
{
    panel w = {a, b, {0, 0, 0}, false, depth};
    const double middle = 0.5 * a + 0.5 * b, half = 0.5 * b - 0.5 * a;
    double f[INTEGRALS], before = ratio_at(g, a, f), low = before, high = before, up = 0, down = 0;
    for (int j = 0; j < 11; j++) {
        const int i = j < 5 ? 4 - j : j - 5;
        const double y = j == 10 ? b : j < 5 ? middle - half * gauss_point[i] : middle + half * gauss_point[i];
        const double ratio = ratio_at(g, y, f), step = ratio - before;
        for (int l = 0; l < INTEGRALS && j < 10; l++) w.part[l] = fma(gauss_weight[i], f[l], w.part[l]);
        low = fmin(low, ratio);
        high = fmax(high, ratio);
        up = fmax(up, step);
        down = fmax(down, -step);
        before = ratio;
    }
    for (int l = 0; l < INTEGRALS; l++) w.part[l] *= half;
    w.clear = (low >= 0 || high <= 0) && (up == 0 || down == 0 || fmax(low, -high) >= fmax(up, down));
    return w;
}

/* Whether a panel may be left at its halves, and by how much that may be off. */
static bool settled(const quadrature *g, const panel *w, const panel *left, const panel *right, double *off)
{
    bool good = true;
    for (int i = 0; i < INTEGRALS; i++) {
        const double mass = left->part[MASS] + right->part[MASS], sum = left->part[i] + right->part[i];
        const double scale = i == SQUARE ? sqrt(sum * mass) : mass, least = i == SQUARE ? 0x1p-100 : 0x1p-52;
        off[i] = fabs(sum - w->part[i]);
        if (i == VARIATION && !(left->clear && right->clear)) {
            off[i] += sum; /* what it has, it may have with the other sign */
            good = good && off[i] <= g->noise * mass + least;
        }
        good = good && off[i] <= g->tolerance * scale + least;
    }
    return good;
}

/* Adds the integrals over [a,b] to sum, and how far they may be off to off. */
static void integrate(quadrature *g, double a, double b, double *sum, double *off)
{
    panel stack[DEPTH + 2];
    size_t n = 0;
    stack[n++] = gauss(g, a, b, 0);
    while (n > 0) {
        const panel w = stack[--n];
        const double middle = 0.5 * w.a + 0.5 * w.b;
        const panel left = gauss(g, w.a, middle, w.depth + 1), right = gauss(g, middle, w.b, w.depth + 1);
        double may[INTEGRALS];
        if (settled(g, &w, &left, &right, may) || w.depth == DEPTH || g->splits == SPLITS) {
            for (int i = 0; i < INTEGRALS; i++) {
                sum[i] += left.part[i] + right.part[i]; /* (T.8) */
                off[i] += may[i];
            }
        } else {
            g->splits++;
            stack[n++] = right;
            stack[n++] = left;
        }
    }
}

/* h_i and 3 and `reach` deviations to either side, of the atoms that have weight, inserted in ascending order. */
static size_t cut_at_atoms(size_t k, const double *at, size_t cuts, double *cut)
{
    const double steps[] = {-reach, -3, 0, 3, reach};
    for (size_t i = 0; i < k; i++)
        for (size_t s = 0; s < 5 && at[i] > -INFINITY; s++) {
            const double y = at[k + i] + steps[s] * sqrt(at[2 * k + i]);
            size_t j = cuts++;
            for (; j > 0 && cut[j - 1] > y; j--) cut[j] = cut[j - 1];
            cut[j] = y;
        }
    return cuts;
}

double smoe_mixture_noise(size_t k, const double *at, double far)
{
    double most = 0, sum = 0;
    for (size_t i = 0; i < k; i++) most = fmax(most, fabs(at[3 * k + i]));
    for (size_t i = 0; i < k; i++) {
        if (at[i] == -INFINITY) continue;
        const double nu = at[2 * k + i], terms = fabs(at[i]) + fabs(at[3 * k + i]);
        const double A = 4 * terms + 2 * most + 6 * fabs(smoe_log(nu)) + 11 * (double)k + 40, B = 3 * far / sqrt(nu);
        const double eta = 0x1p-53 * (A + B + 11); /* (T.8), rms of eta */
        sum += smoe_exp(at[i]) * (eta * eta);
    }
    return sqrt(sum);
}

smoe_status smoe_mixture_distance(size_t kp, const double *p, size_t kq, const double *q, double *work,
                                  double *variation, double *square, double *error)
{
    double sum[INTEGRALS] = {0, 0, 0}, off[INTEGRALS] = {0, 0, 0};
    const size_t cuts = cut_at_atoms(kq, q, cut_at_atoms(kp, p, 0, work), work);
    const double lo = work[0], hi = work[cuts - 1], far = fmax(fabs(lo), fabs(hi));
    const double noise = smoe_mixture_noise(kp, p, far) + smoe_mixture_noise(kq, q, far);
    quadrature g = {kp, kq, p, q, noise, 0x1p-42 + noise, 0};
    if (!isfinite(lo) || !isfinite(hi) || !isfinite(noise)) return SMOE_EOVRFLW;
    for (size_t i = 0; i + 1 < cuts; i++)
        if (work[i] < work[i + 1]) integrate(&g, work[i], work[i + 1], sum, off);
    const double outside = 0.5 * (smoe_mixture_outside(kp, p, lo, hi) + smoe_mixture_outside(kq, q, lo, hi));
    const double sums = 0x1p-53 * (double)(5 * cuts + g.splits + 32);
    const double unseen = fmax(fabs(sum[MASS] + outside - 1) - (off[MASS] + noise + sums), 0); /* an atom was missed */
    *variation = sum[VARIATION]; /* (T.8), V */
    *square = sum[SQUARE]; /* (T.8), h^2 */
    if (error) {
        error[0] = off[VARIATION] + outside + unseen + 0.5 * noise + sums * sum[VARIATION];
        error[1] = off[SQUARE] + outside + unseen + noise * (2 * sqrt(sum[SQUARE]) + noise) + sums * sum[SQUARE];
    }
    return isfinite(sum[VARIATION]) && isfinite(sum[SQUARE]) ? SMOE_OK : SMOE_EOVRFLW;
}

size_t smoe_mix_distance_work(const smoe_mix_shape *p, const smoe_mix_shape *q)
{
    return smoe_mix_work(p) + smoe_mix_work(q) + 9 * (p->k + q->k);
}

smoe_status smoe_mix_distance(const smoe_mix_shape *p, const double *theta_p, const smoe_mix_shape *q,
                              const double *theta_q, size_t n, const double *x, double *work, double *variation,
                              double *square, double *error, double *tv, double *hellinger)
{
    smoe_status status = check_theta(p, theta_p);
    if (status == SMOE_OK) status = check_theta(q, theta_q);
    if (status != SMOE_OK) return status;
    if (p->d != q->d || n == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(n * p->d, x)) return SMOE_EDOM;
    double *at_p = work + smoe_mix_work(p) + smoe_mix_work(q), *at_q = at_p + 4 * p->k, *cut = at_q + 4 * q->k;
    double sum = 0, squares = 0;
    for (size_t t = 0; t < n; t++) {
        const double *xt = x + t * p->d;
        status = smoe_mix_at(p, theta_p, xt, work, at_p, NULL);
        if (status == SMOE_OK) status = smoe_mix_at(q, theta_q, xt, work, at_q, NULL);
        if (status == SMOE_OK)
            status = smoe_mixture_distance(p->k, at_p, q->k, at_q, cut, variation + t, square + t,
                                           error ? error + 2 * t : NULL);
        if (status != SMOE_OK) return status;
        sum += variation[t];
        squares += square[t];
    }
    *tv = sum / (double)n; /* (T.8), mean of V */
    *hellinger = sqrt(squares / (double)n); /* (T.8), root of the mean of h^2 */
    return SMOE_OK;
}

/* --- (T.9) normal form and cells --- */

/*@ requires \valid_read(shape) && smoe_size(mix_p(shape) + 1) && smoe_size(mix_all(shape)) && shape->k > 0;
    requires shape->free_weights && mix_e(shape) > 0;
    requires \valid(theta + (0 .. mix_all(shape)-1)) && \separated(theta + (0 .. mix_all(shape)-1), shape);
    assigns theta[0 .. mix_all(shape)-1]; */
static void normalise_beta0(const smoe_mix_shape *shape, double *theta)
{
    const size_t p = smoe_mix_stride(shape), at = smoe_mix_beta0_at(shape);
    /*@ assert at < p && p <= mix_all(shape); */
    double m = theta[at], sum = 0;
    /*@ loop invariant 1 <= i <= shape->k;
        loop assigns i, m; loop variant shape->k - i; */
    for (size_t i = 1; i < shape->k; i++)
        //@ ghost row_is_inside(i, shape->k, p);
        m = fmax(m, theta[i * p + at]);
    /*@ loop invariant 0 <= i <= shape->k;
        loop assigns i, sum; loop variant shape->k - i; */
    for (size_t i = 0; i < shape->k; i++)
        //@ ghost row_is_inside(i, shape->k, p);
        sum += smoe_exp(theta[i * p + at] - m);
    const double lse = m + smoe_log(sum);
    /*@ loop invariant 0 <= i <= shape->k;
        loop assigns i, theta[0 .. mix_all(shape)-1]; loop variant shape->k - i; */
    for (size_t i = 0; i < shape->k; i++)
        //@ ghost row_is_inside(i, shape->k, p);
        theta[i * p + at] -= lse; /* (T.9), beta0 */
}

/*@ requires \valid_read(shape) && smoe_size(mix_p(shape) + 1) && smoe_size(mix_all(shape)) && shape->k > 0;
    requires shape->gate == SMOE_MIX_SOFTMAX && mix_e(shape) > 0;
    requires \valid(theta + (0 .. mix_all(shape)-1)) && \separated(theta + (0 .. mix_all(shape)-1), shape);
    assigns theta[0 .. mix_all(shape)-1]; */
static void centre_beta1(const smoe_mix_shape *shape, double *theta)
{
    const size_t p = smoe_mix_stride(shape), beta0 = smoe_mix_beta0_at(shape), beta1 = smoe_mix_beta1_at(shape);
    /*@ assert beta1 + shape->d <= p; */
    /*@ loop invariant 0 <= l <= shape->d;
        loop assigns l, theta[0 .. mix_all(shape)-1]; loop variant shape->d - l; */
    for (size_t l = 0; l < shape->d; l++) {
        double centre = 0;
        /*@ loop invariant 0 <= i <= shape->k;
            loop assigns i, centre; loop variant shape->k - i; */
        for (size_t i = 0; i < shape->k; i++) {
            //@ ghost row_is_inside(i, shape->k, p);
            const double mass = shape->free_weights ? smoe_exp(theta[i * p + beta0]) : 1 / (double)shape->k;
            centre = fma(mass, theta[i * p + beta1 + l], centre);
        }
        /*@ loop invariant 0 <= i <= shape->k;
            loop assigns i, theta[0 .. mix_all(shape)-1]; loop variant shape->k - i; */
        for (size_t i = 0; i < shape->k; i++)
            //@ ghost row_is_inside(i, shape->k, p);
            theta[i * p + beta1 + l] -= centre; /* (T.9), beta1 */
    }
}

smoe_status smoe_mix_normal_form(const smoe_mix_shape *shape, double *theta)
{
    const smoe_status status = check_theta(shape, theta);
    if (status != SMOE_OK) return status;
    if (shape->free_weights) normalise_beta0(shape, theta);
    if (shape->gate == SMOE_MIX_SOFTMAX) centre_beta1(shape, theta);
    return finite_or_overflow(smoe_mix_parameters(shape), theta);
}

smoe_status smoe_mix_atoms(const smoe_mix_shape *shape, const double *theta, double *atoms, double *beta0)
{
    const smoe_status status = check_theta(shape, theta);
    if (status != SMOE_OK) return status;
    const size_t p = smoe_mix_stride(shape), own = smoe_mix_expert_size(shape) + 1;
    const size_t slope = shape->gate == SMOE_MIX_SOFTMAX ? shape->d : 0;
    //@ ghost const size_t width = slope + own;
    /*@ assert p == mix_p(shape) && own == mix_e(shape) + 1 && width == slope + own && width <= p; */
    /*@ assert 0 <= shape->k*width <= shape->k*p; */
    /*@ loop invariant 0 <= i <= shape->k && atoms == \at(atoms, Pre) + i*width;
        loop assigns i, atoms, \at(atoms, Pre)[0 .. mix_all(shape)-1], beta0[0 .. shape->k-1]; loop variant shape->k - i; */
    for (size_t i = 0; i < shape->k; i++) {
        //@ ghost row_is_inside(i, shape->k, p);
        //@ ghost row_is_inside(i, shape->k, width);
        const double *atom = theta + i * p;
        /*@ loop invariant 0 <= l <= slope && atoms == \at(atoms, Pre) + (i*width + l);
            loop assigns l, atoms, \at(atoms, Pre)[0 .. mix_all(shape)-1]; loop variant slope - l; */
        for (size_t l = 0; l < slope; l++) *atoms++ = atom[smoe_mix_beta1_at(shape) + l];
        /*@ loop invariant 0 <= l <= own && atoms == \at(atoms, Pre) + (i*width + slope + l);
            loop assigns l, atoms, \at(atoms, Pre)[0 .. mix_all(shape)-1]; loop variant own - l; */
        for (size_t l = 0; l < own; l++) *atoms++ = atom[l];
        beta0[i] = shape->free_weights ? atom[smoe_mix_beta0_at(shape)] : 0;
    }
    return SMOE_OK;
}

/* |a - b|, N.24 of the direct differences; +inf if one of them overflows */
/*@ requires \valid_read(a + (0 .. m-1)) && \valid_read(b + (0 .. m-1)) && \valid(work + (0 .. m-1));
    requires \separated(work + (0 .. m-1), a + (0 .. m-1)) && \separated(work + (0 .. m-1), b + (0 .. m-1));
    assigns work[0 .. m-1]; */
static double distance(size_t m, const double *a, const double *b, double *work)
{
    double norm = INFINITY;
    /*@ loop invariant 0 <= l <= m;
        loop assigns l, work[0 .. m-1]; loop variant m - l; */
    for (size_t l = 0; l < m; l++) work[l] = a[l] - b[l];
    return smoe_norm(m, work, &norm) == SMOE_OK ? norm : INFINITY;
}

smoe_status smoe_voronoi_cells(size_t k, size_t kstar, size_t m, const double *atoms, const double *truth, double *work,
                               size_t *cell, double *margin)
{
    if (k == 0 || kstar == 0 || m == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(k * m, atoms) || !smoe_all_finite(kstar * m, truth)) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= k && \forall integer a; 0 <= a < i ==> cell[a] < kstar;
        loop assigns i, work[0 .. m-1], cell[0 .. k-1], margin[0 .. k-1]; loop variant k - i; */
    for (size_t i = 0; i < k; i++) {
        //@ ghost row_is_inside(i, k, m);
        //@ ghost row_is_inside(0, kstar, m);
        double least = distance(m, atoms + i * m, truth, work), second = INFINITY;
        cell[i] = 0;
        /*@ loop invariant 1 <= j <= kstar && cell[i] < kstar && \forall integer a; 0 <= a < i ==> cell[a] < kstar;
            loop assigns j, least, second, work[0 .. m-1], cell[i]; loop variant kstar - j; */
        for (size_t j = 1; j < kstar; j++) {
            //@ ghost row_is_inside(j, kstar, m);
            const double off = distance(m, atoms + i * m, truth + j * m, work);
            second = fmin(second, fmax(off, least));
            if (!(off < least)) continue;
            least = off;
            cell[i] = j; /* (T.9) */
        }
        if (!isfinite(least)) return SMOE_EOVRFLW;
        if (margin) margin[i] = second - least;
    }
    return SMOE_OK;
}

/* --- (T.10), (T.11) Voronoi losses --- */

static smoe_status check_cells(size_t k, size_t kstar, size_t m, const double *atoms, const double *truth,
                               const double *beta0, const double *beta0star, const size_t *cell)
{
    if (k == 0 || kstar == 0 || m == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(k * m, atoms) || !smoe_all_finite(kstar * m, truth)) return SMOE_EDOM;
    if (!smoe_all_finite(k, beta0) || !smoe_all_finite(kstar, beta0star)) return SMOE_EDOM;
    for (size_t i = 0; i < k; i++)
        if (cell[i] >= kstar) return SMOE_EDOM;
    return SMOE_OK;
}

size_t smoe_voronoi_size(size_t k, const size_t *cell, size_t j)
{
    size_t size = 0;
    /*@ loop invariant 0 <= i <= k && 0 <= size <= i;
        loop invariant size == cell_size(cell, i, j);
        loop assigns i, size; loop variant k - i; */
    for (size_t i = 0; i < k; i++)
        if (cell[i] == j) size++;
    return size;
}

/* sum_j | sum_{A_j} e^beta0 - e^beta0*_j | */
static double mass_part(size_t k, size_t kstar, const double *beta0, const double *beta0star, const size_t *cell)
{
    double sum = 0;
    for (size_t j = 0; j < kstar; j++) {
        double mass = 0;
        for (size_t i = 0; i < k; i++)
            if (cell[i] == j) mass += smoe_exp(beta0[i]);
        sum += fabs(mass - smoe_exp(beta0star[j]));
    }
    return sum;
}

smoe_status smoe_voronoi_exact(size_t k, size_t kstar, size_t m, const double *atoms, const double *truth,
                               const double *beta0, const double *beta0star, const size_t *cell, double *work,
                               double *loss)
{
    const smoe_status status = check_cells(k, kstar, m, atoms, truth, beta0, beta0star, cell);
    if (status != SMOE_OK) return status;
    double sum = mass_part(k, kstar, beta0, beta0star, cell);
    for (size_t j = 0; j < kstar; j++)
        for (size_t i = 0; i < k; i++)
            if (cell[i] == j) sum += smoe_exp(beta0[i]) * distance(m, atoms + i * m, truth + j * m, work);
    *loss = sum; /* (T.10) */
    return finite_or_overflow(1, loss);
}

smoe_status smoe_voronoi_order(size_t M, double *order)
{
    if (M == 0) return SMOE_EINVAL;
    if (M > 3) return SMOE_EDOM;
    *order = M == 1 ? 1 : M == 2 ? 4 : 6; /* (T.11) */
    return SMOE_OK;
}

/* x^rho for x >= 0, rho > 0: a product where rho is a small whole number */
static double power_of(double x, double rho)
{
    if (rho > 16 || rho != floor(rho)) return x > 0 ? smoe_exp(rho * smoe_log(x)) : 0;
    double product = x;
    for (double j = 1; j < rho; j++) product *= x;
    return product;
}

/* sum_g |D_g|^(power_g + times_g r) */
static double merged(const double *atom, const double *truth, double r, size_t G, const size_t *width,
                     const double *power, const double *times, double *work)
{
    double sum = 0;
    for (size_t g = 0; g < G; g++) {
        sum += power_of(distance(width[g], atom, truth, work), power[g] + times[g] * r);
        atom += width[g];
        truth += width[g];
    }
    return sum;
}

static smoe_status check_powers(size_t m, size_t G, const size_t *width, const double *power, const double *times)
{
    size_t sum = 0;
    for (size_t g = 0; g < G; g++) {
        if (width[g] > m - sum) return SMOE_EINVAL;
        sum += width[g];
    }
    if (G == 0 || sum != m) return SMOE_EINVAL;
    if (!smoe_all_finite(G, power) || !smoe_all_finite(G, times)) return SMOE_EDOM;
    for (size_t g = 0; g < G; g++)
        if (power[g] < 0 || times[g] < 0 || power[g] + times[g] == 0) return SMOE_EDOM;
    return SMOE_OK;
}

/* r of a cell with M atoms; 0 where no power asks for it */
static smoe_status order_of(size_t M, size_t G, const double *times, double *r)
{
    *r = 0;
    for (size_t g = 0; g < G; g++)
        if (times[g] > 0) return smoe_voronoi_order(M, r);
    return SMOE_OK;
}

smoe_status smoe_voronoi_over(size_t k, size_t kstar, size_t m, const double *atoms, const double *truth,
                              const double *beta0, const double *beta0star, const size_t *cell, size_t G,
                              const size_t *width, const double *power, const double *times, double *work, double *loss)
{
    smoe_status status = check_powers(m, G, width, power, times);
    if (status != SMOE_EINVAL) {
        const smoe_status values = check_cells(k, kstar, m, atoms, truth, beta0, beta0star, cell);
        if (values == SMOE_EINVAL || status == SMOE_OK) status = values;
    }
    if (status != SMOE_OK) return status;
    double sum = mass_part(k, kstar, beta0, beta0star, cell);
    for (size_t j = 0; j < kstar; j++) {
        const size_t M = smoe_voronoi_size(k, cell, j);
        double r = 0;
        if (M > 1) status = order_of(M, G, times, &r);
        if (status != SMOE_OK) return status;
        for (size_t i = 0; i < k; i++) {
            if (cell[i] != j) continue;
            const double *atom = atoms + i * m, *true_atom = truth + j * m;
            sum += smoe_exp(beta0[i]) * (M == 1 ? distance(m, atom, true_atom, work)
                                                : merged(atom, true_atom, r, G, width, power, times, work));
        }
    }
    *loss = sum; /* (T.11) */
    return finite_or_overflow(1, loss);
}

/* --- (T.12) expectation maximisation --- */

smoe_status smoe_mix_responsibilities(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x,
                                      const double *y, double *work, double *q, double *loglik)
{
    const smoe_status status = check_sample(shape, n, theta, x, y);
    if (status != SMOE_OK) return status;
    const scratch s = scratch_of(shape, work);
    constants(shape, theta, &s);
    double sum = 0;
    for (size_t t = 0; t < n; t++) {
        place(shape, theta, x + t * shape->d, &s);
        sum += density(shape->k, y[t], &s);
        for (size_t i = 0; i < shape->k; i++) q[t * shape->k + i] = s.q[i]; /* (T.12), E */
    }
    *loglik = sum / (double)n;
    return finite_or_overflow(1, loglik);
}

/* (T.12), Q, for arguments that were checked. */
static double complete_loglik(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x,
                              const double *y, const double *q, const scratch *s)
{
    double sum = 0;
    constants(shape, theta, s);
    for (size_t t = 0; t < n; t++) {
        place(shape, theta, x + t * shape->d, s);
        density(shape->k, y[t], s);
        double row = 0;
        for (size_t i = 0; i < shape->k; i++) {
            const double r = y[t] - s->h[i], qi = q[t * shape->k + i];
            if (qi > 0 && s->logpi[i] > -INFINITY)
                row = fma(qi, s->logpi[i] + (s->constant[i] - 0.5 * (r * r / s->nu[i])), row);
        }
        sum += row;
    }
    return sum / (double)n; /* (T.12), Q */
}

static smoe_status check_q(size_t n, const double *q)
{
    for (size_t j = 0; j < n; j++)
        if (!(q[j] >= 0 && q[j] <= 1)) return SMOE_EDOM;
    return SMOE_OK;
}

smoe_status smoe_mix_complete_loglik(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x,
                                     const double *y, const double *q, double *work, double *Q)
{
    smoe_status status = check_sample(shape, n, theta, x, y);
    if (status == SMOE_OK) status = check_q(n * shape->k, q);
    if (status != SMOE_OK) return status;
    const scratch s = scratch_of(shape, work);
    *Q = complete_loglik(shape, n, theta, x, y, q, &s);
    return finite_or_overflow(1, Q);
}

size_t smoe_mix_em_work(const smoe_mix_shape *shape)
{
    return smoe_mix_work(shape) + smoe_mix_parameters(shape) + shape->k * (shape->d + 1) * (shape->d + 3);
}

/* Weighted least squares of one atom, accumulated: (d+1)(d+3) doubles. */
typedef struct {
    double *S; /* sum of the weights */
    double *centre; /* [d] weighted mean of x */
    double *g; /* [d+1] sum of pull (x - centre), then sum of pull; after solve: the step */
    double *C; /* [d,d] sum of weight (x - centre)(x - centre)', its lower triangle; after solve: its root */
    double *most; /* [d] largest |x| that has weight */
} normal;

static normal normal_of(size_t d, double *block)
{
    return (normal){block, block + 1, block + 1 + d, block + 2 + 2 * d, block + 2 + 2 * d + d * d};
}

static void clear(size_t d, const normal *e) { zero((d + 1) * (d + 3), e->S); }

static void add_weight(size_t d, double weight, const double *x, const normal *e)
{
    *e->S += weight;
    smoe_axpy(d, weight, x, e->centre);
    for (size_t l = 0; l < d && weight > 0; l++) e->most[l] = fmax(e->most[l], fabs(x[l]));
}

static smoe_status finish_centre(size_t d, const normal *e)
{
    if (!(*e->S > 0)) return SMOE_EDOM;
    for (size_t l = 0; l < d; l++) e->centre[l] = e->centre[l] / *e->S;
    return SMOE_OK;
}

static void add_pull(size_t d, double weight, double pull, const double *x, const normal *e)
{
    for (size_t l = 0; l < d; l++) {
        const double off = x[l] - e->centre[l];
        e->g[l] = fma(pull, off, e->g[l]);
        for (size_t m = 0; m <= l; m++) e->C[l * d + m] = fma(weight * off, x[m] - e->centre[m], e->C[l * d + m]);
    }
    e->g[d] += pull;
}

/* C = L L' in place; what is left of a pivot must be more than 2^-40 of it, or the x span too little. */
static smoe_status cholesky(size_t d, double *C)
{
    for (size_t l = 0; l < d; l++) {
        const double whole = C[l * d + l];
        for (size_t m = 0; m <= l; m++) {
            double left = C[l * d + m];
            for (size_t j = 0; j < m; j++) left = fma(-C[l * d + j], C[m * d + j], left);
            if (m < l) {
                C[l * d + m] = left / C[m * d + m];
                continue;
            }
            if (!(left > 0x1p-40 * whole)) return SMOE_EDOM;
            C[l * d + l] = sqrt(left);
        }
    }
    return SMOE_OK;
}

/* Does each x vary by more than its mean over n samples may be off?  A chain of n products, a sum of n weights and a
 * division: (2n + 1) u of the largest |x|, and u more for the difference. */
static smoe_status check_spread(size_t n, size_t d, const normal *e)
{
    for (size_t l = 0; l < d; l++) {
        const double square = e->C[l * d + l];
        if (!isfinite(square) || !isfinite(e->centre[l])) return SMOE_EOVRFLW;
        if (!(sqrt(square / *e->S) > (double)(2 * n + 2) * 0x1p-53 * e->most[l])) return SMOE_EDOM;
    }
    return SMOE_OK;
}

/* The step over n samples: g = (C^-1 g_1..d, g_d / S - <that, centre>) */
static smoe_status solve(size_t n, size_t d, const normal *e)
{
    smoe_status status = check_spread(n, d, e);
    if (status == SMOE_OK) status = cholesky(d, e->C);
    if (status != SMOE_OK) return status;
    for (size_t l = 0; l < d; l++) {
        for (size_t j = 0; j < l; j++) e->g[l] = fma(-e->C[l * d + j], e->g[j], e->g[l]);
        e->g[l] = e->g[l] / e->C[l * d + l];
    }
    for (size_t l = d; l-- > 0;) {
        for (size_t j = l + 1; j < d; j++) e->g[l] = fma(-e->C[j * d + l], e->g[j], e->g[l]);
        e->g[l] = e->g[l] / e->C[l * d + l];
    }
    e->g[d] = e->g[d] / *e->S - smoe_dot(d, e->g, e->centre);
    return finite_or_overflow(d + 1, e->g);
}

/* The normal equations of atom i in `blocks`. */
static normal normal_at(const smoe_mix_shape *shape, double *blocks, size_t i)
{
    return normal_of(shape->d, blocks + i * (shape->d + 1) * (shape->d + 3));
}

/* The direction of the experts' step: nu_i (sum q x~x~')^-1 sum dh x~, into each atom's g. */
static smoe_status expert_direction(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x,
                                    const double *y, const double *q, const scratch *s, double *blocks)
{
    const size_t k = shape->k, d = shape->d;
    smoe_status status = SMOE_OK;
    for (size_t i = 0; i < k && status == SMOE_OK; i++) {
        const normal e = normal_at(shape, blocks, i);
        clear(d, &e);
        for (size_t t = 0; t < n; t++) add_weight(d, q[t * k + i], x + t * d, &e);
        status = finish_centre(d, &e);
    }
    constants(shape, theta, s);
    for (size_t t = 0; t < n && status == SMOE_OK; t++) {
        place(shape, theta, x + t * d, s);
        for (size_t i = 0; i < k; i++) {
            const normal e = normal_at(shape, blocks, i);
            const double qi = q[t * k + i];
            double pull = qi * (y[t] - s->h[i]); /* nu_i dh_ti */
            if (shape->gate != SMOE_MIX_SOFTMAX) pull += s->nu[i] * ((qi - s->pi[i]) * s->slope[i]);
            add_pull(d, qi, pull, x + t * d, &e);
        }
    }
    for (size_t i = 0; i < k && status == SMOE_OK; i++) {
        const normal e = normal_at(shape, blocks, i);
        status = solve(n, d, &e);
    }
    return status;
}

/* next = theta with (a,b) moved by 2^-s of the direction, s the least that does not lower Q. */
static void move_experts(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x, const double *y,
                         const double *q, const scratch *s, double *blocks, double *next)
{
    const size_t p = smoe_mix_stride(shape), d = shape->d;
    const double before = complete_loglik(shape, n, theta, x, y, q, s);
    double length = 1;
    for (int halvings = 0; halvings <= 30; halvings++, length *= 0.5) {
        for (size_t i = 0; i < shape->k; i++) {
            const normal e = normal_at(shape, blocks, i);
            for (size_t l = 0; l <= d; l++)
                next[i * p + l] = fma(length, e.g[l], theta[i * p + l]); /* (T.12), experts */
        }
        if (shape->gate == SMOE_MIX_SOFTMAX || complete_loglik(shape, n, next, x, y, q, s) >= before) return;
    }
    for (size_t j = 0; j < smoe_mix_parameters(shape); j++) next[j] = theta[j];
}

/* sum_t q_ti of one atom */
static double weight_of(const smoe_mix_shape *shape, size_t n, const double *q)
{
    double weight = 0;
    for (size_t t = 0; t < n; t++) weight += q[t * shape->k];
    return weight;
}

/* sum_t q_ti r_ti^2 / sum_t q_ti about the line of one atom */
static double mean_square(const smoe_mix_shape *shape, size_t n, const double *atom, const double *x, const double *y,
                          const double *q)
{
    double sum = 0;
    for (size_t t = 0; t < n; t++) {
        const double r = y[t] - mean(shape, atom, x + t * shape->d, NULL), qi = q[t * shape->k];
        sum = fma(qi * r, r, sum);
    }
    return sum / weight_of(shape, n, q);
}

static void fit_variances(const smoe_mix_shape *shape, size_t n, const double *x, const double *y, const double *q,
                          double least, double *next)
{
    const size_t p = smoe_mix_stride(shape);
    for (size_t i = 0; i < shape->k; i++) {
        double *atom = next + i * p;
        atom[smoe_mix_variance_at(shape)] = fmax(mean_square(shape, n, atom, x, y, q + i), least); /* (T.12) */
    }
}

/* beta0_i += ln sum_t q_ti - ln sum_t pi_ti, for gates without parameters of their own */
static smoe_status scale_weights(const smoe_mix_shape *shape, size_t n, const double *x, const double *q,
                                 const scratch *s, double *sums, double *next)
{
    const size_t k = shape->k, p = smoe_mix_stride(shape);
    zero(2 * k, sums);
    for (size_t t = 0; t < n; t++) {
        place(shape, next, x + t * shape->d, s);
        for (size_t i = 0; i < k; i++) {
            sums[i] += q[t * k + i];
            sums[k + i] += s->pi[i];
        }
    }
    for (size_t i = 0; i < k; i++) {
        if (!(sums[i] > 0 && sums[k + i] > 0)) return SMOE_EDOM;
        next[i * p + smoe_mix_beta0_at(shape)] += smoe_log(sums[i]) - smoe_log(sums[k + i]); /* (T.12), gate */
    }
    return SMOE_OK;
}

/* (beta1, beta0)_i += 2 (sum x~x~')^-1 sum (q_i - pi_i) x~, the softmax gate */
static smoe_status move_softmax(const smoe_mix_shape *shape, size_t n, const double *x, const double *q,
                                const scratch *s, double *blocks, double *next)
{
    const size_t k = shape->k, d = shape->d, p = smoe_mix_stride(shape);
    smoe_status status = SMOE_OK;
    for (size_t i = 0; i < k; i++) {
        const normal e = normal_at(shape, blocks, i);
        clear(d, &e);
        for (size_t t = 0; t < n; t++) add_weight(d, 1, x + t * d, &e);
        status = finish_centre(d, &e);
        if (!shape->free_weights) zero(d, e.centre); /* no intercept to take the mean up */
    }
    for (size_t t = 0; t < n; t++) {
        place(shape, next, x + t * d, s);
        for (size_t i = 0; i < k; i++) {
            const normal e = normal_at(shape, blocks, i);
            add_pull(d, 1, q[t * k + i] - s->pi[i], x + t * d, &e);
        }
    }
    for (size_t i = 0; i < k && status == SMOE_OK; i++) {
        const normal e = normal_at(shape, blocks, i);
        double *atom = next + i * p;
        status = solve(n, d, &e);
        if (status != SMOE_OK) break;
        smoe_axpy(d, 2, e.g, atom + smoe_mix_beta1_at(shape)); /* (T.12), gate */
        if (shape->free_weights) atom[smoe_mix_beta0_at(shape)] += 2 * e.g[d];
    }
    return status;
}

smoe_status smoe_mix_m_step(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x,
                            const double *y, const double *q, double least, double *work, double *next)
{
    smoe_status status = smoe_mix_check(shape);
    if (status != SMOE_OK || shape->expert != SMOE_MIX_LINEAR || shape->topk > 0) return SMOE_EINVAL;
    status = check_sample(shape, n, theta, x, y);
    if (status == SMOE_OK) status = check_q(n * shape->k, q);
    if (status == SMOE_OK && !(least > 0 && isfinite(least))) status = SMOE_EDOM;
    if (status != SMOE_OK) return status;
    const size_t parameters = smoe_mix_parameters(shape);
    const scratch s = scratch_of(shape, work);
    double *draft = work + smoe_mix_work(shape), *blocks = draft + parameters; /* next, while a step may be refused */
    for (size_t j = 0; j < parameters; j++) draft[j] = theta[j];
    status = expert_direction(shape, n, theta, x, y, q, &s, blocks);
    if (status != SMOE_OK) return status;
    move_experts(shape, n, theta, x, y, q, &s, blocks, draft);
    fit_variances(shape, n, x, y, q, least, draft);
    if (shape->gate == SMOE_MIX_SOFTMAX)
        status = move_softmax(shape, n, x, q, &s, blocks, draft);
    else if (shape->free_weights)
        status = scale_weights(shape, n, x, q, &s, blocks, draft);
    if (status != SMOE_OK) return status;
    for (size_t j = 0; j < parameters; j++) next[j] = draft[j];
    return finite_or_overflow(parameters, next);
}

smoe_status smoe_mix_em_direction(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x,
                                  const double *y, const double *q, double *work, double *direction)
{
    smoe_status status = smoe_mix_check(shape);
    if (status != SMOE_OK || shape->expert != SMOE_MIX_LINEAR || shape->topk > 0) return SMOE_EINVAL;
    status = check_sample(shape, n, theta, x, y);
    if (status == SMOE_OK) status = check_q(n * shape->k, q);
    if (status != SMOE_OK) return status;
    const scratch s = scratch_of(shape, work);
    double *blocks = work + smoe_mix_work(shape) + smoe_mix_parameters(shape);
    status = expert_direction(shape, n, theta, x, y, q, &s, blocks);
    for (size_t i = 0; i < shape->k && status == SMOE_OK; i++) {
        const normal e = normal_at(shape, blocks, i);
        for (size_t l = 0; l <= shape->d; l++) direction[i * (shape->d + 1) + l] = e.g[l];
    }
    return status;
}

smoe_status smoe_mix_em_variances(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x,
                                  const double *y, const double *q, double *nu)
{
    smoe_status status = smoe_mix_check(shape);
    if (status != SMOE_OK || shape->expert != SMOE_MIX_LINEAR) return SMOE_EINVAL;
    status = check_sample(shape, n, theta, x, y);
    if (status == SMOE_OK) status = check_q(n * shape->k, q);
    for (size_t i = 0; i < shape->k && status == SMOE_OK; i++)
        if (!(weight_of(shape, n, q + i) > 0)) status = SMOE_EDOM;
    if (status != SMOE_OK) return status;
    for (size_t i = 0; i < shape->k; i++)
        nu[i] = mean_square(shape, n, theta + i * smoe_mix_stride(shape), x, y, q + i); /* (T.12), variances */
    return finite_or_overflow(shape->k, nu);
}

smoe_status smoe_mix_em_step(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x,
                             const double *y, double least, double *work, double *q, double *next, double *loglik)
{
    smoe_status status = smoe_mix_check(shape);
    if (status != SMOE_OK || shape->expert != SMOE_MIX_LINEAR || shape->topk > 0) return SMOE_EINVAL;
    status = check_sample(shape, n, theta, x, y);
    if (status == SMOE_OK && !(least > 0 && isfinite(least))) status = SMOE_EDOM;
    if (status == SMOE_OK) status = smoe_mix_responsibilities(shape, n, theta, x, y, work, q, loglik);
    return status == SMOE_OK ? smoe_mix_m_step(shape, n, theta, x, y, q, least, work, next) : status;
}

/* --- (T.13) the oracle --- */

/* Least squares of atom i over its own samples: a and b are left in g, nu in S. */
static smoe_status fit_labelled(size_t n, size_t d, const double *x, const double *y, const size_t *label, size_t i,
                                const normal *e)
{
    size_t count = 0;
    double my = 0, sum = 0;
    clear(d, e);
    for (size_t t = 0; t < n; t++) {
        if (label[t] != i) continue;
        count++;
        my += y[t];
        add_weight(d, 1, x + t * d, e);
    }
    if (count < d + 2) return SMOE_EDOM;
    smoe_status status = finish_centre(d, e);
    my = my / (double)count;
    for (size_t t = 0; t < n; t++)
        if (label[t] == i) add_pull(d, 1, y[t] - my, x + t * d, e);
    if (status == SMOE_OK) status = solve(count, d, e);
    if (status != SMOE_OK) return status;
    e->g[d] = my - smoe_dot(d, e->g, e->centre); /* (T.13), a in g; b */
    for (size_t t = 0; t < n; t++) {
        if (label[t] != i) continue;
        const double r = y[t] - (smoe_dot(d, e->g, x + t * d) + e->g[d]);
        sum = fma(r, r, sum);
    }
    *e->S = sum / (double)count; /* (T.13), nu */
    if (!smoe_all_finite(d + 1, e->g) || !isfinite(*e->S)) return SMOE_EOVRFLW;
    return *e->S > 0 ? SMOE_OK : SMOE_EDOM;
}

smoe_status smoe_oracle(size_t n, size_t k, size_t d, const double *x, const double *y, const size_t *label,
                        double *work, double *eta)
{
    if (n == 0 || k == 0 || d == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(n * d, x) || !smoe_all_finite(n, y)) return SMOE_EDOM;
    for (size_t t = 0; t < n; t++)
        if (label[t] >= k) return SMOE_EDOM;
    const normal e = normal_of(d, work);
    smoe_status status = SMOE_OK;
    for (size_t i = 0; i < k && status == SMOE_OK; i++) status = fit_labelled(n, d, x, y, label, i, &e);
    for (size_t i = 0; i < k && status == SMOE_OK; i++) { /* again, now that no atom is refused */
        double *const atom = eta + i * (d + 2);
        status = fit_labelled(n, d, x, y, label, i, &e);
        for (size_t l = 0; l <= d; l++) atom[l] = e.g[l];
        atom[d + 1] = *e.S;
    }
    return status;
}

/* --- (T.14) identifiability --- */

size_t smoe_identifiability_columns(size_t d) { return 1 + (d + 1) + (d + 1) * (d + 2) / 2; }

/* The columns of one atom at one point. */
static void derivatives(smoe_mix_expert expert, size_t d, const double *w, double c, const double *x, double *row)
{
    const double z = smoe_dot(d, w, x) + c, first = phi_deriv(expert, z), second = phi_second_deriv(expert, z);
    *row++ = phi(expert, z);
    for (size_t l = 0; l <= d; l++) *row++ = l < d ? first * x[l] : first;
    for (size_t l = 0; l <= d; l++)
        for (size_t m = l; m <= d; m++) *row++ = second * (l < d ? x[l] : 1) * (m < d ? x[m] : 1); /* (T.14) */
}

smoe_status smoe_identifiability_matrix(smoe_mix_expert expert, size_t k, size_t d, size_t n, const double *w,
                                        const double *c, const double *x, double *M)
{
    if (k == 0 || d == 0 || (unsigned)expert > SMOE_MIX_SIGMOID) return SMOE_EINVAL;
    if (!smoe_all_finite(k * d, w) || !smoe_all_finite(k, c) || !smoe_all_finite(n * d, x)) return SMOE_EDOM;
    const size_t r = smoe_identifiability_columns(d);
    for (size_t t = 0; t < n; t++)
        for (size_t i = 0; i < k; i++) derivatives(expert, d, w + i * d, c[i], x + t * d, M + (t * k + i) * r);
    return finite_or_overflow(n * k * r, M);
}

static double column_norm(size_t n, size_t m, const double *M, size_t j)
{
    double s = 0;
    for (size_t t = 0; t < n; t++) s = fma(M[t * m + j], M[t * m + j], s);
    return sqrt(s);
}

static double column_dot(size_t n, size_t m, const double *M, size_t i, size_t j)
{
    double s = 0;
    for (size_t t = 0; t < n; t++) s = fma(M[t * m + i], M[t * m + j], s);
    return s;
}

/* Columns to norm 1, by the power of two of the largest element first, so that no square overflows or vanishes. */
static void scale_columns(size_t n, size_t m, double *M)
{
    for (size_t j = 0; j < m; j++) {
        double most = 0;
        int e;
        for (size_t t = 0; t < n; t++) most = fmax(most, fabs(M[t * m + j]));
        if (most == 0) continue;
        frexp(most, &e);
        for (size_t t = 0; t < n; t++) M[t * m + j] = ldexp(M[t * m + j], -e);
        const double norm = column_norm(n, m, M, j);
        for (size_t t = 0; t < n; t++) M[t * m + j] = M[t * m + j] / norm;
    }
}

/* Rotate columns i and j until they are orthogonal; false if they are already. */
static bool rotate(size_t n, size_t m, double *M, size_t i, size_t j)
{
    const double ni = column_norm(n, m, M, i), nj = column_norm(n, m, M, j), dot = column_dot(n, m, M, i, j);
    if (!(fabs(dot) > (double)(n + 8) * 0x1p-53 * (ni * nj))) return false;
    const double cot = (nj - ni) * (nj + ni) / (2 * dot);
    const double tan = (cot < 0 ? -1 : 1) / (fabs(cot) + sqrt(fma(cot, cot, 1)));
    const double cosine = 1 / sqrt(fma(tan, tan, 1)), sine = cosine * tan;
    for (size_t t = 0; t < n; t++) {
        const double a = M[t * m + i], b = M[t * m + j];
        M[t * m + i] = fma(cosine, a, -(sine * b));
        M[t * m + j] = fma(sine, a, cosine * b);
    }
    return true;
}

static void sort_descending(size_t m, double *s)
{
    for (size_t i = 1; i < m; i++)
        for (size_t j = i; j > 0 && s[j] > s[j - 1]; j--) {
            const double swap = s[j];
            s[j] = s[j - 1];
            s[j - 1] = swap;
        }
}

smoe_status smoe_singular_values(size_t n, size_t m, double *M, double *s, double *error)
{
    if (n == 0 || m == 0 || n < m) return SMOE_EINVAL;
    if (!smoe_all_finite(n * m, M)) return SMOE_EDOM;
    size_t rotations = 0, before = 1;
    scale_columns(n, m, M);
    for (int sweep = 0; before > 0; sweep++) {
        if (sweep == 60) return SMOE_EOVRFLW;
        before = 0;
        for (size_t i = 0; i < m; i++)
            for (size_t j = i + 1; j < m; j++) before += rotate(n, m, M, i, j);
        rotations += before;
    }
    for (size_t j = 0; j < m; j++) s[j] = column_norm(n, m, M, j); /* (T.14) */
    sort_descending(m, s);
    *error = sqrt((double)m) * 0x1p-53 * (8 * (double)rotations + (double)(m + 2) * (double)(n + 8) + 64);
    return SMOE_OK;
}
