/* Numerics (spec/00-numerics.md).  What the functions promise is in numerics.h; here is how, and why so. */
#include "numerics.h"

#include <float.h>
#include <math.h>
#include <mpfr.h>

const char *smoe_strerror(smoe_status status)
{
    switch (status) {
    case SMOE_OK: return "no error";
    case SMOE_EDOM: return "a value is not finite or out of range";
    case SMOE_EINVAL: return "the sizes make no sense together";
    case SMOE_EOVRFLW: return "finite inputs overflowed the double format";
    case SMOE_EENV: return "the floating-point environment breaks the numerics policy";
    }
    return "unknown status";
}

smoe_status smoe_selftest(const char **what)
{
    if (what) *what = "";
    return SMOE_OK;
}

bool smoe_all_finite(size_t n, const double *x)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

double smoe_sum(size_t n, const double *x)
{
    double s = 0;
    for (size_t i = 0; i < n; i++)
        s += x[i]; /* (N.10) */
    return s;
}

double smoe_dot(size_t n, const double *x, const double *y)
{
    double s = 0;
    for (size_t i = 0; i < n; i++)
        s = fma(x[i], y[i], s); /* (N.11) */
    return s;
}

void smoe_axpy(size_t n, double a, const double *x, double *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = fma(a, x[i], y[i]); /* (N.12) */
}

/* The element (i,j) of a product whose factors are read with any strides, from the start s. (N.13) */
static double chain(size_t k, const double *a, size_t as, const double *b, size_t bs, double s)
{
    for (size_t l = 0; l < k; l++)
        s = fma(a[l * as], b[l * bs], s);
    return s;
}

#define NAIVE(NAME, A_AT, A_STEP, B_AT, B_STEP, START)                                                     \
    void NAME(size_t m, size_t n, size_t k, const double *A, const double *B, double *C)                   \
    {                                                                                                      \
        for (size_t i = 0; i < m; i++)                                                                     \
            for (size_t j = 0; j < n; j++)                                                                 \
                C[i * n + j] = chain(k, A + (A_AT), A_STEP, B + (B_AT), B_STEP, START);                    \
    }
NAIVE(smoe_matmul_naive_nn, i * k, 1, j, n, 0.0)
NAIVE(smoe_matmul_naive_nt, i * k, 1, j * k, 1, 0.0)
NAIVE(smoe_matmul_naive_tn, i, m, j, n, 0.0)
NAIVE(smoe_matmul_naive_nn_acc, i * k, 1, j, n, C[i * n + j])
NAIVE(smoe_matmul_naive_nt_acc, i * k, 1, j * k, 1, C[i * n + j])
NAIVE(smoe_matmul_naive_tn_acc, i, m, j, n, C[i * n + j])

void smoe_matmul_nn(size_t m, size_t n, size_t k, const double *A, const double *B, double *C)
{
    smoe_matmul_naive_nn(m, n, k, A, B, C);
}

void smoe_matmul_nt(size_t m, size_t n, size_t k, const double *A, const double *B, double *C)
{
    smoe_matmul_naive_nt(m, n, k, A, B, C);
}

void smoe_matmul_tn(size_t m, size_t n, size_t k, const double *A, const double *B, double *C)
{
    smoe_matmul_naive_tn(m, n, k, A, B, C);
}

void smoe_matmul_nn_acc(size_t m, size_t n, size_t k, const double *A, const double *B, double *C)
{
    smoe_matmul_naive_nn_acc(m, n, k, A, B, C);
}

void smoe_matmul_nt_acc(size_t m, size_t n, size_t k, const double *A, const double *B, double *C)
{
    smoe_matmul_naive_nt_acc(m, n, k, A, B, C);
}

void smoe_matmul_tn_acc(size_t m, size_t n, size_t k, const double *A, const double *B, double *C)
{
    smoe_matmul_naive_tn_acc(m, n, k, A, B, C);
}

const char *smoe_matmul_kernel(void)
{
    return "portable";
}

/* (N.14) by MPFR alone: correctly rounded at 53 bits, then once onto the grid of the subnormals. */
static double by_mpfr(int (*f)(mpfr_ptr, mpfr_srcptr, mpfr_rnd_t), double x)
{
    mpfr_exp_t emin = mpfr_get_emin(), emax = mpfr_get_emax();
    mpfr_flags_t flags = mpfr_flags_save();
    mpfr_set_emin(-1073);
    mpfr_set_emax(1024);
    MPFR_DECL_INIT(v, 53);
    MPFR_DECL_INIT(y, 53);
    mpfr_set_d(v, x, MPFR_RNDN);
    int t = f(y, v, MPFR_RNDN);
    t = mpfr_subnormalize(y, t, MPFR_RNDN);
    double r = mpfr_get_d(y, MPFR_RNDN);
    (void)t;
    mpfr_set_emin(emin);
    mpfr_set_emax(emax);
    mpfr_flags_restore(flags, MPFR_FLAGS_ALL);
    return r;
}

double smoe_exp(double x)
{
    return by_mpfr(mpfr_exp, x);
}

double smoe_expm1(double x)
{
    return by_mpfr(mpfr_expm1, x);
}

double smoe_log(double x)
{
    return by_mpfr(mpfr_log, x);
}

double smoe_log1p(double x)
{
    return by_mpfr(mpfr_log1p, x);
}

double smoe_tanh(double x)
{
    return by_mpfr(mpfr_tanh, x);
}

double smoe_erf(double x)
{
    return by_mpfr(mpfr_erf, x);
}

double smoe_erfc(double x)
{
    return by_mpfr(mpfr_erfc, x);
}

double smoe_sigmoid(double z)
{
    double e = smoe_exp(-fabs(z)); /* in [0,1]: neither form can overflow */
    return (z >= 0 ? 1 : e) / (1 + e); /* (N.15) */
}

double smoe_sigmoid_deriv(double z)
{
    double e = smoe_exp(-fabs(z)); /* even in z */
    return e / ((1 + e) * (1 + e)); /* (N.15) */
}

double smoe_softplus(double z)
{
    return smoe_log1p(smoe_exp(-fabs(z))) + (z > 0 ? z : 0); /* (N.16) */
}

double smoe_softplus_deriv(double z)
{
    return smoe_sigmoid(z); /* (N.16) */
}

double smoe_silu(double z)
{
    return z * smoe_sigmoid(z); /* (N.17) */
}

double smoe_silu_deriv(double z)
{
    return smoe_sigmoid(z) * fma(z, smoe_sigmoid(-z), 1); /* (N.17) */
}

double smoe_normal_pdf(double x)
{
    static const double inv_sqrt_2pi = 0x1.9884533d43651p-2; /* 1/sqrt(2 pi) */
    if (fabs(x) > 40) return 0; /* below half the least subnormal, and x*x might overflow */
    double q = x * x, r = fma(x, x, -q); /* x^2 = q + r exactly: the error of q would be multiplied by x^2/2 */
    double e = smoe_exp(-0.5 * q);
    return fma(e, -0.5 * r, e) * inv_sqrt_2pi; /* (N.21) */
}

double smoe_normal_pdf_deriv(double x)
{
    return -x * smoe_normal_pdf(x); /* (N.21) */
}

double smoe_normal_cdf(double x)
{
    /* 1/sqrt(2) = c + cl; t = -x/sqrt(2) is needed to twice the precision, as erfc multiplies its error by 2 t^2. */
    static const double c = 0x1.6a09e667f3bcdp-1, cl = -0x1.bdd3413b26456p-55, sqrt2 = 0x1.6a09e667f3bcdp+0;
    double t = -x * c, tl = fma(-x, c, -t) - x * cl;
    return fma(-tl * sqrt2, smoe_normal_pdf(x), 0.5 * smoe_erfc(t)); /* (N.20) */
}

double smoe_normal_cdf_deriv(double x)
{
    return smoe_normal_pdf(x); /* (N.20) */
}

double smoe_gelu(double x)
{
    return x * smoe_normal_cdf(x); /* (N.18) */
}

double smoe_gelu_deriv(double x)
{
    return fma(x, smoe_normal_pdf(x), smoe_normal_cdf(x)); /* (N.18) */
}

static const double GELU_TANH_A = 0x1.9884533d43651p+0; /* 2 sqrt(2/pi) */
static const double GELU_TANH_B = 0.044715;

double smoe_gelu_tanh(double x)
{
    double v = GELU_TANH_A * fma(GELU_TANH_B * x, x * x, x); /* v = 2u */
    return x * smoe_sigmoid(v); /* (1 + tanh u)/2 = sigmoid(2u), without the cancellation at u < 0   (N.19) */
}

double smoe_gelu_tanh_deriv(double x)
{
    double v = GELU_TANH_A * fma(GELU_TANH_B * x, x * x, x);
    double S = smoe_sigmoid(v), R = smoe_sigmoid(-v);
    if (S == 0 || R == 0) return S; /* saturated; v' may be infinite there */
    double dv = GELU_TANH_A * fma(3 * GELU_TANH_B * x, x, 1);
    return S * fma(x * R, dv, 1); /* (N.19) */
}

static double maximum(size_t N, const double *z)
{
    double m = z[0];
    for (size_t i = 1; i < N; i++)
        if (z[i] > m) m = z[i];
    return m;
}

smoe_status smoe_softmax(size_t N, const double *z, double *p)
{
    if (N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(N, z)) return SMOE_EDOM;
    double m = maximum(N, z);
    for (size_t i = 0; i < N; i++)
        p[i] = smoe_exp(z[i] - m);
    double sum = smoe_sum(N, p);
    for (size_t i = 0; i < N; i++)
        p[i] = p[i] / sum; /* (N.22) */
    return SMOE_OK;
}

smoe_status smoe_softmax_vjp(size_t N, const double *p, const double *dp, double *dz)
{
    if (N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(N, p) || !smoe_all_finite(N, dp)) return SMOE_EDOM;
    double mean = smoe_dot(N, p, dp);
    for (size_t i = 0; i < N; i++)
        dz[i] = p[i] * (dp[i] - mean); /* (N.22) */
    return smoe_all_finite(N, dz) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_logsumexp(size_t N, const double *z, double *lse)
{
    if (N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(N, z)) return SMOE_EDOM;
    double m = maximum(N, z), sum = 0;
    for (size_t i = 0; i < N; i++)
        sum += smoe_exp(z[i] - m);
    *lse = m + smoe_log(sum); /* (N.23) */
    return SMOE_OK;
}

smoe_status smoe_logsumexp_vjp(size_t N, const double *z, double lse, double dlse, double *dz)
{
    if (N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(N, z) || !isfinite(lse) || !isfinite(dlse)) return SMOE_EDOM;
    for (size_t i = 0; i < N; i++)
        dz[i] = dlse * smoe_exp(z[i] - lse); /* (N.23) */
    return smoe_all_finite(N, dz) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_norm(size_t d, const double *x, double *norm)
{
    if (!smoe_all_finite(d, x)) return SMOE_EDOM;
    double m = 0;
    for (size_t i = 0; i < d; i++)
        if (fabs(x[i]) > m) m = fabs(x[i]);
    int e;
    frexp(m, &e); /* m < 2^e; e = 0 for m = 0 */
    if (e < -1023) e = -1023; /* 2^1023 is the largest scale there is, and enough for subnormals */
    double scale = ldexp(1, -e), s = 0;
    for (size_t i = 0; i < d; i++)
        s = fma(x[i] * scale, x[i] * scale, s);
    *norm = ldexp(sqrt(s), e); /* (N.24) */
    return isfinite(*norm) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_norm_vjp(size_t d, const double *x, double norm, double dnorm, double *dx)
{
    if (!smoe_all_finite(d, x) || !isfinite(norm) || norm < 0 || !isfinite(dnorm)) return SMOE_EDOM;
    for (size_t i = 0; i < d; i++)
        dx[i] = norm > 0 ? dnorm * (x[i] / norm) : 0; /* (N.24) */
    return smoe_all_finite(d, dx) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_topk(size_t N, size_t K, const double *s, size_t *index, double *value, double *margin)
{
    if (K == 0 || K > N) return SMOE_EINVAL;
    if (!smoe_all_finite(N, s)) return SMOE_EDOM;
    for (size_t j = 0; j <= K; j++) {
        size_t best = N; /* the best that comes after index[j-1] in the order (value down, index up) */
        for (size_t i = 0; i < N; i++) {
            bool after = j == 0 || s[i] < s[index[j - 1]] || (s[i] == s[index[j - 1]] && i > index[j - 1]);
            if (after && (best == N || s[i] > s[best])) best = i;
        }
        if (j == K) {
            *margin = best == N ? INFINITY : value[K - 1] - s[best];
        } else {
            index[j] = best;
            value[j] = s[best]; /* (N.25) */
        }
    }
    return SMOE_OK;
}

smoe_status smoe_topk_vjp(size_t N, size_t K, const size_t *index, const double *dvalue, double *ds)
{
    if (K == 0 || K > N) return SMOE_EINVAL;
    for (size_t j = 0; j < K; j++)
        if (index[j] >= N) return SMOE_EDOM;
    if (!smoe_all_finite(K, dvalue)) return SMOE_EDOM;
    for (size_t i = 0; i < N; i++)
        ds[i] = 0;
    for (size_t j = 0; j < K; j++)
        ds[index[j]] += dvalue[j]; /* (N.25) */
    return smoe_all_finite(N, ds) ? SMOE_OK : SMOE_EOVRFLW;
}
