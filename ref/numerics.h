/* Numerics: the arithmetic that every other chapter stands on.  Specification: spec/00-numerics.md, rules N.1 to N.9.
 *
 * Every result is a function of the arguments alone: the same bits with any compiler, optimisation level and IEEE 754
 * machine.  Sums go left to right, an inner product is a chain of fused multiply-adds with ascending index, and the
 * elementary functions of (N.14) are correctly rounded.  Compile with -ffp-contract=off and never with -ffast-math.
 *
 * No global state, no allocation (but see N.14: MPFR, which allocates inside itself, decides hard cases), no abort.
 * Matrices are row-major.  Outputs may not overlap inputs or each other unless a function says so.
 */
#ifndef SMOEREF_NUMERICS_H
#define SMOEREF_NUMERICS_H

#include <stdbool.h>
#include <stddef.h>

/* What a function says about its arguments, in the order in which it is checked. */
typedef enum {
    SMOE_OK,     /* all outputs are written and finite (a margin may be +inf) */
    SMOE_EDOM,   /* a value is not finite or out of range; nothing is written */
    SMOE_EINVAL, /* sizes that make no sense, such as K > N; found before SMOE_EDOM; nothing is written */
    SMOE_EOVRFLW, /* finite inputs overflowed the format; the outputs are unspecified */
    SMOE_EENV    /* the floating-point environment breaks the policy of N.1 and N.2 */
} smoe_status;

/* One line for a message; never NULL. */
/*@ assigns \nothing;
    ensures \valid_read(\result); */
const char *smoe_strerror(smoe_status status);

/* (N.1, N.2) Does the machine, as compiled and as set at this moment, round to nearest in binary64, keep subnormals,
 * carry no excess precision, contract nothing, and have an exact fma?
 *
 *   what   out: the reason in one sentence, "" if all is well; may be NULL
 *
 * Errors: SMOE_EENV.  Call it once in each thread that computes: the rounding mode belongs to the thread.
 */
/*@ requires what == \null || \valid(what);
    assigns *what;
    ensures \result == SMOE_OK || \result == SMOE_EENV; */
smoe_status smoe_selftest(const char **what);

/* Words of the contracts.  A double is taken as a real number there: that has the right order, and no rounding. */
/*@ predicate smoe_finite(double x) = -0x1.fffffffffffffp1023 <= x <= 0x1.fffffffffffffp1023;
    predicate smoe_finites{L}(double *x, integer n) = \forall integer i; 0 <= i < n ==> smoe_finite(x[i]);
    predicate smoe_before{L}(double *s, integer i, integer j) = s[i] > s[j] || (s[i] == s[j] && i < j);
    predicate smoe_taken{L}(size_t *index, integer c, integer i) = \exists integer j; 0 <= j < c && index[j] == i;
    predicate smoe_size(integer n) = 0 <= n <= 0xffffffffffffffff;
 */

/*@ ghost // where row i of n rows lies, which the provers do not find by themselves
    /@ requires i < n && smoe_size(n*width);
       assigns \nothing;
       ensures 0 <= i*width && i*width + width <= n*width; @/
    void row_is_inside(size_t i, size_t n, size_t width); */

/* True if no element is infinite or NaN. */
/*@ requires \valid_read(x + (0 .. n-1));
    assigns \nothing;
    ensures \result <==> smoe_finites(x, n); */
bool smoe_all_finite(size_t n, const double *x);

/* --- sums and products --------------------------------------------------------------------------------------------
 * No checks: infinities and NaN pass through as IEEE 754 says. */

/* (N.10) Sum, left to right:  s = (((0 + x_0) + x_1) + ...).  0 for n = 0. */
/*@ requires \valid_read(x + (0 .. n-1));
    assigns \nothing; */
double smoe_sum(size_t n, const double *x);

/* (N.11) Inner product:  s = 0;  s = fma(x_i, y_i, s),  i ascending.  x and y may be the same array. */
/*@ requires \valid_read(x + (0 .. n-1)) && \valid_read(y + (0 .. n-1));
    assigns \nothing; */
double smoe_dot(size_t n, const double *x, const double *y);

/* (N.12) y_i = fma(a, x_i, y_i). */
/*@ requires \valid_read(x + (0 .. n-1)) && \valid(y + (0 .. n-1));
    requires \separated(x + (0 .. n-1), y + (0 .. n-1));
    assigns y[0 .. n-1]; */
void smoe_axpy(size_t n, double a, const double *x, double *y);

/* (N.13) Matrix products.  Every element of C is one fma chain over k ascending.
 *
 *   nn   C = A B      A [m,k]  B [k,n]  C [m,n]
 *   nt   C = A B^T    A [m,k]  B [n,k]
 *   tn   C = A^T B    A [k,m]  B [k,n]
 *
 * The chain starts at 0, or, with _acc, at the element of C that is there (C += A B in one chain).
 * The functions smoe_matmul_naive_* are the definition; the others give the same bits, faster.
 */
/*@ predicate smoe_product{L}(integer m, integer n, integer k, double *A, double *B, double *C) =
      smoe_size(m*k) && smoe_size(k*n) && smoe_size(m*n) &&
      \valid_read(A + (0 .. m*k-1)) && \valid_read(B + (0 .. k*n-1)) && \valid(C + (0 .. m*n-1)) &&
      \separated(A + (0 .. m*k-1), C + (0 .. m*n-1)) && \separated(B + (0 .. k*n-1), C + (0 .. m*n-1)); */
/*@ requires smoe_product(m, n, k, A, B, C); assigns C[0 .. m*n-1]; */
void smoe_matmul_nn(size_t m, size_t n, size_t k, const double *A, const double *B, double *C);
/*@ requires smoe_product(m, n, k, A, B, C); assigns C[0 .. m*n-1]; */
void smoe_matmul_nt(size_t m, size_t n, size_t k, const double *A, const double *B, double *C);
/*@ requires smoe_product(m, n, k, A, B, C); assigns C[0 .. m*n-1]; */
void smoe_matmul_tn(size_t m, size_t n, size_t k, const double *A, const double *B, double *C);
/*@ requires smoe_product(m, n, k, A, B, C); assigns C[0 .. m*n-1]; */
void smoe_matmul_nn_acc(size_t m, size_t n, size_t k, const double *A, const double *B, double *C);
/*@ requires smoe_product(m, n, k, A, B, C); assigns C[0 .. m*n-1]; */
void smoe_matmul_nt_acc(size_t m, size_t n, size_t k, const double *A, const double *B, double *C);
/*@ requires smoe_product(m, n, k, A, B, C); assigns C[0 .. m*n-1]; */
void smoe_matmul_tn_acc(size_t m, size_t n, size_t k, const double *A, const double *B, double *C);

/*@ requires smoe_product(m, n, k, A, B, C); assigns C[0 .. m*n-1]; */
void smoe_matmul_naive_nn(size_t m, size_t n, size_t k, const double *A, const double *B, double *C);
/*@ requires smoe_product(m, n, k, A, B, C); assigns C[0 .. m*n-1]; */
void smoe_matmul_naive_nt(size_t m, size_t n, size_t k, const double *A, const double *B, double *C);
/*@ requires smoe_product(m, n, k, A, B, C); assigns C[0 .. m*n-1]; */
void smoe_matmul_naive_tn(size_t m, size_t n, size_t k, const double *A, const double *B, double *C);
/*@ requires smoe_product(m, n, k, A, B, C); assigns C[0 .. m*n-1]; */
void smoe_matmul_naive_nn_acc(size_t m, size_t n, size_t k, const double *A, const double *B, double *C);
/*@ requires smoe_product(m, n, k, A, B, C); assigns C[0 .. m*n-1]; */
void smoe_matmul_naive_nt_acc(size_t m, size_t n, size_t k, const double *A, const double *B, double *C);
/*@ requires smoe_product(m, n, k, A, B, C); assigns C[0 .. m*n-1]; */
void smoe_matmul_naive_tn_acc(size_t m, size_t n, size_t k, const double *A, const double *B, double *C);

/* The kernels that this machine can run, the best first: "avx512", "avx2", "neon", "portable"; NULL after the last. */
/*@ assigns \nothing; */
const char *smoe_matmul_kernel(size_t number);

/* C += A B for any strides: element (i,l) of A is at A[i ai + l al], (l,j) of B at B[l bl + j bj], (i,j) of C at
 * C[i n + j].  On the kernel of that number (0 is the best, and what the functions above use; beyond the last counts as
 * the last).  All kernels give the same bits: that is what this function is there to show. */
/*@ requires \forall integer i, l; 0 <= i < m && 0 <= l < k ==> \valid_read(A + (i*ai + l*al));
    requires \forall integer l, j; 0 <= l < k && 0 <= j < n ==> \valid_read(B + (l*bl + j*bj));
    requires smoe_size(m*n) && \valid(C + (0 .. m*n-1));
    requires \forall integer i, l; 0 <= i < m && 0 <= l < k ==> \separated(A + (i*ai + l*al), C + (0 .. m*n-1));
    requires \forall integer l, j; 0 <= l < k && 0 <= j < n ==> \separated(B + (l*bl + j*bj), C + (0 .. m*n-1));
    assigns C[0 .. m*n-1]; */
void smoe_matmul_strided_acc(size_t kernel, size_t m, size_t n, size_t k, const double *A, size_t ai, size_t al,
                             const double *B, size_t bl, size_t bj, double *C);

/* The same blocks and kernels with other steps, for spec/06-similarity.md.  They continue what is in C; the chains of
 * an element go over l ascending.  A [m,k] and B [n,k] are read by rows; C has cr >= n columns, of which n are used:
 *
 *   (K.2)   C_ij = fma(A_il - B_jl, A_il - B_jl, C_ij)
 *
 * and, with W [m,k], A [m,n], B [k,n], C [m,n]:
 *
 *   (K.2')  C_ij = fma(W_il, A_ij - B_lj, C_ij)
 */
/*@ requires smoe_size(m*k) && smoe_size(n*k) && smoe_size(m*cr) && n <= cr;
    requires \valid_read(A + (0 .. m*k-1)) && \valid_read(B + (0 .. n*k-1));
    requires \forall integer i; 0 <= i < m ==> \valid(C + (i*cr .. i*cr + n-1));
    requires \forall integer i; 0 <= i < m ==> \separated(C + (i*cr .. i*cr + n-1), A + (0 .. m*k-1));
    requires \forall integer i; 0 <= i < m ==> \separated(C + (i*cr .. i*cr + n-1), B + (0 .. n*k-1));
    assigns { C[i*cr + j] | integer i, j; 0 <= i < m && 0 <= j < n }; */
void smoe_distances_acc(size_t kernel, size_t m, size_t n, size_t k, const double *A, const double *B, double *C,
                        size_t cr);
/*@ requires smoe_size(m*k) && smoe_size(m*n) && smoe_size(k*n) && \valid_read(W + (0 .. m*k-1));
    requires \valid_read(A + (0 .. m*n-1)) && \valid_read(B + (0 .. k*n-1)) && \valid(C + (0 .. m*n-1));
    requires \separated(C + (0 .. m*n-1), W + (0 .. m*k-1)) && \separated(C + (0 .. m*n-1), A + (0 .. m*n-1));
    requires \separated(C + (0 .. m*n-1), B + (0 .. k*n-1));
    assigns C[0 .. m*n-1]; */
void smoe_pull_acc(size_t kernel, size_t m, size_t n, size_t k, const double *W, const double *A, const double *B,
                   double *C);

/* --- functions of one number --------------------------------------------------------------------------------------
 * (N.14) Correctly rounded: the double nearest to the exact value, ties to even, subnormals included.  Zeros keep their
 * sign where the function is odd; infinities, poles and NaN as in C's Annex F (the log of a negative number is NaN).
 * No errno, and no floating-point flag, means anything afterwards. */
/*@ assigns \nothing; */ double smoe_exp(double x);
/*@ assigns \nothing; */ double smoe_expm1(double x);
/*@ assigns \nothing; */ double smoe_log(double x);
/*@ assigns \nothing; */ double smoe_log1p(double x);
/*@ assigns \nothing; */ double smoe_tanh(double x);
/*@ assigns \nothing; */ double smoe_erf(double x);
/*@ assigns \nothing; */ double smoe_erfc(double x);

/* (N.14) y_i = exp(x_i) and y_i = exp(x_i) - 1, to the bit what the functions of one number give, faster.  y may be x.
 * And on the kernel of that number (see smoe_matmul_kernel), to show that all give the same bits. */
/*@ requires \valid_read(x + (0 .. n-1)) && \valid(y + (0 .. n-1)); assigns y[0 .. n-1]; */
void smoe_exp_many(size_t n, const double *x, double *y);
/*@ requires \valid_read(x + (0 .. n-1)) && \valid(y + (0 .. n-1)); assigns y[0 .. n-1]; */
void smoe_expm1_many(size_t n, const double *x, double *y);
/*@ requires \valid_read(x + (0 .. n-1)) && \valid(y + (0 .. n-1)); assigns y[0 .. n-1]; */
void smoe_exponential_on(size_t kernel, bool less_one, size_t n, const double *x, double *y);

/* Built on them by the formula of the equation, each step rounded.  For finite arguments. */
/*@ assigns \nothing; */ double smoe_sigmoid(double z);    /* (N.15) 1 / (1 + e^-z) */
/*@ assigns \nothing; */ double smoe_softplus(double z);   /* (N.16) ln(1 + e^z) = log1p(e^-|z|) + max(z, 0) */
/*@ assigns \nothing; */ double smoe_silu(double z);       /* (N.17) z sigmoid(z) */
/*@ assigns \nothing; */ double smoe_gelu(double x);       /* (N.18) x Phi(x) */
/*@ assigns \nothing; */
double smoe_gelu_tanh(double x); /* (N.19) x/2 (1 + tanh u),  u = sqrt(2/pi) (x + 0.044715 x^3) */
/*@ assigns \nothing; */ double smoe_normal_cdf(double x); /* (N.20) Phi(x) = erfc(-x/sqrt 2) / 2 */
/*@ assigns \nothing; */ double smoe_normal_pdf(double x); /* (N.21) phi(x) = e^(-x^2/2) / sqrt(2 pi) */

/* The derivatives of all of these, under the same numbers, by formulas that neither cancel nor overflow where the
 * derivative itself does not. */
/*@ assigns \nothing; */ double smoe_exp_deriv(double x);         /* e^x */
/*@ assigns \nothing; */ double smoe_expm1_deriv(double x);       /* e^x */
/*@ assigns \nothing; */ double smoe_log_deriv(double x);         /* 1 / x */
/*@ assigns \nothing; */ double smoe_log1p_deriv(double x);       /* 1 / (1 + x) */
/*@ assigns \nothing; */ double smoe_tanh_deriv(double x);        /* 1 - tanh(x)^2 = 4 sigmoid(2x) sigmoid(-2x) */
/*@ assigns \nothing; */ double smoe_erf_deriv(double x);         /* 2/sqrt(pi) e^(-x^2) */
/*@ assigns \nothing; */ double smoe_erfc_deriv(double x);        /* -2/sqrt(pi) e^(-x^2) */
/*@ assigns \nothing; */ double smoe_sigmoid_deriv(double z);     /* sigmoid(z) sigmoid(-z) */
/*@ assigns \nothing; */ double smoe_softplus_deriv(double z);    /* sigmoid(z) */
/*@ assigns \nothing; */ double smoe_silu_deriv(double z);        /* sigmoid(z) (1 + z sigmoid(-z)) */
/*@ assigns \nothing; */ double smoe_gelu_deriv(double x);        /* Phi(x) + x phi(x) */
/*@ assigns \nothing; */ double smoe_gelu_tanh_deriv(double x);   /* S + x S (1 - S) v',  S = sigmoid(v), v = 2u */
/*@ assigns \nothing; */ double smoe_normal_cdf_deriv(double x);  /* phi(x) */
/*@ assigns \nothing; */ double smoe_normal_pdf_deriv(double x);  /* -x phi(x) */

/* --- functions of a vector ---------------------------------------------------------------------------------------- */

/* (N.22) Softmax:  m = max z,  e_i = exp(z_i - m),  p_i = e_i / sum e
 *
 *   z   [N]
 *   p   [N]  out: not negative; sums to 1 within rounding
 *
 * Errors: SMOE_EINVAL if N = 0; SMOE_EDOM if an element of z is not finite.
 */
/*@ requires \valid_read(z + (0 .. N-1)) && \valid(p + (0 .. N-1));
    requires \separated(z + (0 .. N-1), p + (0 .. N-1));
    behavior sizes:
      assumes N == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes N > 0 && !(smoe_finites(z, N));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes N > 0 && smoe_finites(z, N);
      assigns p[0 .. N-1];
      ensures \result == SMOE_OK;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_softmax(size_t N, const double *z, double *p);

/* (N.22) Gradient of softmax:  dz_i = p_i (dp_i - <p, dp>)
 *
 *   p    [N]  what smoe_softmax gave
 *   dp   [N]  the gradient of p
 *   dz   [N]  out
 *
 * Errors: SMOE_EINVAL if N = 0; SMOE_EDOM if an element of p or dp is not finite; SMOE_EOVRFLW.
 */
/*@ requires \valid_read(p + (0 .. N-1)) && \valid_read(dp + (0 .. N-1)) && \valid(dz + (0 .. N-1));
    requires \separated(p + (0 .. N-1), dz + (0 .. N-1));
    requires \separated(dp + (0 .. N-1), dz + (0 .. N-1));
    behavior sizes:
      assumes N == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes N > 0 && !(smoe_finites(p, N) && smoe_finites(dp, N));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes N > 0 && smoe_finites(p, N) && smoe_finites(dp, N);
      assigns dz[0 .. N-1];
      ensures \result == SMOE_OK || \result == SMOE_EOVRFLW;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_softmax_vjp(size_t N, const double *p, const double *dp, double *dz);

/* (N.23) lse = m + log(sum_i exp(z_i - m)),  m = max z
 *
 *   z    [N]
 *   lse  out
 *
 * Errors: SMOE_EINVAL if N = 0; SMOE_EDOM if an element of z is not finite.
 */
/*@ requires \valid_read(z + (0 .. N-1)) && \valid(lse);
    requires \separated(z + (0 .. N-1), lse);
    behavior sizes:
      assumes N == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes N > 0 && !(smoe_finites(z, N));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes N > 0 && smoe_finites(z, N);
      assigns *lse;
      ensures \result == SMOE_OK;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_logsumexp(size_t N, const double *z, double *lse);

/* (N.23) Gradient of logsumexp:  dz_i = dlse exp(z_i - lse)
 *
 *   lse   what smoe_logsumexp gave
 *   dlse  the gradient of lse
 *   dz    [N]  out
 *
 * Errors: SMOE_EINVAL if N = 0; SMOE_EDOM if an element of z, lse or dlse is not finite; SMOE_EOVRFLW.
 */
/*@ requires \valid_read(z + (0 .. N-1)) && \valid(dz + (0 .. N-1));
    requires \separated(z + (0 .. N-1), dz + (0 .. N-1));
    behavior sizes:
      assumes N == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes N > 0 && !(smoe_finites(z, N) && smoe_finite(lse) && smoe_finite(dlse));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes N > 0 && smoe_finites(z, N) && smoe_finite(lse) && smoe_finite(dlse);
      assigns dz[0 .. N-1];
      ensures \result == SMOE_OK || \result == SMOE_EOVRFLW;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_logsumexp_vjp(size_t N, const double *z, double lse, double dlse, double *dz);

/* (N.24) L2 norm:  |x| = 2^e sqrt(<x 2^-e, x 2^-e>),  2^e the least power of two above max |x_i| (but e >= -1023)
 *
 *   x     [d]  d = 0 gives 0
 *   norm  out
 *
 * Errors: SMOE_EDOM if an element is not finite; SMOE_EOVRFLW if the norm itself is above the largest double.
 */
/*@ requires \valid_read(x + (0 .. d-1)) && \valid(norm);
    requires \separated(x + (0 .. d-1), norm);
    behavior values:
      assumes !(smoe_finites(x, d));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes smoe_finites(x, d);
      assigns *norm;
      ensures \result == SMOE_OK || \result == SMOE_EOVRFLW;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_norm(size_t d, const double *x, double *norm);

/* (N.24) Gradient of the norm:  dx_i = dnorm (x_i / |x|), and 0 where |x| = 0
 *
 *   norm   what smoe_norm gave
 *   dnorm  the gradient of the norm
 *   dx     [d]  out
 *
 * Errors: SMOE_EDOM if an element of x, norm or dnorm is not finite, or norm is negative; SMOE_EOVRFLW.
 */
/*@ requires \valid_read(x + (0 .. d-1)) && \valid(dx + (0 .. d-1));
    requires \separated(x + (0 .. d-1), dx + (0 .. d-1));
    behavior values:
      assumes !(smoe_finites(x, d) && smoe_finite(norm) && norm >= 0 && smoe_finite(dnorm));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes smoe_finites(x, d) && smoe_finite(norm) && norm >= 0 && smoe_finite(dnorm);
      assigns dx[0 .. d-1];
      ensures \result == SMOE_OK || \result == SMOE_EOVRFLW;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_norm_vjp(size_t d, const double *x, double norm, double dnorm, double *dx);

/* (N.25) The K largest:  value_0 >= ... >= value_{K-1},  among equals the lower index first;  -0 equals 0
 *
 *   s       [N]
 *   index   [K]  out: where the values stand in s, all different
 *   value   [K]  out: value_j = s[index_j]
 *   margin  out: value_{K-1} less the largest that was not taken; 0 for a tie, +inf if K = N (or by overflow)
 *
 * Errors: SMOE_EINVAL if K = 0 or K > N; SMOE_EDOM if an element of s is not finite.
 */
/*@ requires \valid_read(s + (0 .. N-1));
    requires \valid(index + (0 .. K-1)) && \valid(value + (0 .. K-1)) && \valid(margin);
    requires \separated(s + (0 .. N-1), index + (0 .. K-1), value + (0 .. K-1), margin);
    behavior sizes:
      assumes K == 0 || K > N;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes 0 < K <= N && !smoe_finites(s, N);
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes 0 < K <= N && smoe_finites(s, N);
      assigns index[0 .. K-1], value[0 .. K-1], *margin;
      ensures \result == SMOE_OK;
      ensures \forall integer j; 0 <= j < K ==> index[j] < N && value[j] == s[index[j]];
      ensures \forall integer a, b; 0 <= a < b < K ==> smoe_before(s, index[a], index[b]);
      ensures \forall integer i; 0 <= i < N && !smoe_taken(index, K, i) ==> smoe_before(s, index[K-1], i);
      ensures K < N ==> \exists integer i; 0 <= i < N && !smoe_taken(index, K, i) && *margin == value[K-1] - s[i] &&
                (\forall integer l; 0 <= l < N && !smoe_taken(index, K, l) ==> s[l] <= s[i]);
    complete behaviors; disjoint behaviors; */
smoe_status smoe_topk(size_t N, size_t K, const double *s, size_t *index, double *value, double *margin);

/* (N.25) Gradient of the K largest, the selection held constant:  ds = 0, then ds[index_j] += dvalue_j, j ascending
 *
 *   index   [K]  what smoe_topk gave
 *   dvalue  [K]  the gradient of value
 *   ds      [N]  out
 *
 * Errors: SMOE_EINVAL if K = 0 or K > N; SMOE_EDOM if an index is not below N or a value not finite; SMOE_EOVRFLW.
 */
/*@ requires \valid_read(index + (0 .. K-1)) && \valid_read(dvalue + (0 .. K-1)) && \valid(ds + (0 .. N-1));
    requires \separated(dvalue + (0 .. K-1), ds + (0 .. N-1));
    requires \separated(index + (0 .. K-1), ds + (0 .. N-1));
    behavior sizes:
      assumes K == 0 || K > N;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes 0 < K <= N && !((\forall integer j; 0 <= j < K ==> index[j] < N) && smoe_finites(dvalue, K));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes 0 < K <= N && (\forall integer j; 0 <= j < K ==> index[j] < N) && smoe_finites(dvalue, K);
      assigns ds[0 .. N-1];
      ensures \result == SMOE_OK || \result == SMOE_EOVRFLW;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_topk_vjp(size_t N, size_t K, const size_t *index, const double *dvalue, double *ds);

#endif
