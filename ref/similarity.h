/* Similarity of representations (spec/06-similarity.md): kernels, HSIC, CKA, and cosines of paired rows.
 *
 *   n samples; x [n,p] and y [n,q] two representations of them, one sample a row;  K, L [n,n] their Gram matrices.
 *
 * A Gram matrix is symmetric; where a function asks for one it reads both halves and does not check.  vjps overwrite;
 * outputs may not overlap inputs or each other.  SMOE_EINVAL means a size or an enumerator for which the equation makes
 * no sense, SMOE_EDOM a value that is not finite or out of range, or a similarity that is not defined (no variance); the
 * outputs are not written in either case, workspace may be.  SMOE_EOVRFLW: a finite input overflowed.
 */
#ifndef SMOEREF_SIMILARITY_H
#define SMOEREF_SIMILARITY_H

#include <stdbool.h>
#include <stddef.h>

#include "numerics.h"

typedef enum { SMOE_KERNEL_LINEAR, SMOE_KERNEL_RBF } smoe_kernel;
typedef enum { SMOE_BANDWIDTH_ABSOLUTE, SMOE_BANDWIDTH_MEDIAN } smoe_bandwidth;
typedef enum { SMOE_DIAGONAL_WITH, SMOE_DIAGONAL_WITHOUT } smoe_diagonal; /* of the distances, for their median */
typedef enum { SMOE_MIDDLE_MEAN, SMOE_MIDDLE_LOWER } smoe_middle;         /* of an even number of values */
typedef enum { SMOE_MEDIAN_DISTANCE, SMOE_MEDIAN_SQUARE } smoe_median_of; /* (sigma median sqrt D)^2, sigma^2 median D */
typedef enum { SMOE_HSIC_BIASED, SMOE_HSIC_UNBIASED, SMOE_HSIC_DEBIASED } smoe_estimator;
typedef enum { SMOE_ROUTE_GRAM, SMOE_ROUTE_FEATURES } smoe_similarity_route; /* features: the linear kernel only */
typedef enum { SMOE_DIVIDE_N_LESS_1, SMOE_DIVIDE_N, SMOE_DIVIDE_NONE } smoe_hsic_divisor; /* of the biased form */

/* What similarity is meant.  sigma and what follows it up to detach are looked at for the RBF kernel only, the rules of
 * the median only if bandwidth asks for it, divide only by smoe_hsic and its gradient for the biased form. */
typedef struct {
    smoe_kernel kernel;
    double sigma; /* absolute: the bandwidth itself; median: the factor before the median */
    smoe_bandwidth bandwidth;
    smoe_diagonal diagonal;
    smoe_middle middle;
    smoe_median_of median;
    bool detach; /* a bandwidth from the median is a constant of the gradient */
    smoe_estimator estimator;
    smoe_similarity_route route;
    smoe_hsic_divisor divide;
} smoe_similarity;

/* (K.1) Linear kernel:  K_ij = <x_i, x_j>
 *
 *   x  [n,p]
 *   K  [n,n]  out
 *
 * Errors: SMOE_EINVAL if n or p is 0; SMOE_EDOM; SMOE_EOVRFLW.
 */
/*@ requires smoe_size(n*p) && smoe_size(n*n) && \valid_read(x + (0 .. n*p-1)) && \valid(K + (0 .. n*n-1));
    requires \separated(x + (0 .. n*p-1), K + (0 .. n*n-1));
    behavior sizes:
      assumes n == 0 || p == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes !(n == 0 || p == 0) && !(smoe_finites(x, n*p));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes !(n == 0 || p == 0) && smoe_finites(x, n*p);
      assigns K[0 .. n*n-1];
      ensures \result == SMOE_OK || \result == SMOE_EOVRFLW;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_gram_linear(size_t n, size_t p, const double *x, double *K);

/* (K.1), gradient:  dx = dK x + dK^T x,  one chain an element; dK need not be symmetric */
/*@ requires smoe_size(n*p) && smoe_size(n*n) && \valid_read(x + (0 .. n*p-1)) && \valid_read(dK + (0 .. n*n-1)) && \valid(dx + (0 .. n*p-1));
    requires \separated(x + (0 .. n*p-1), dx + (0 .. n*p-1)) && \separated(dK + (0 .. n*n-1), dx + (0 .. n*p-1));
    behavior sizes:
      assumes n == 0 || p == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes !(n == 0 || p == 0) && !((smoe_finites(x, n*p) && smoe_finites(dK, n*n)));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes !(n == 0 || p == 0) && (smoe_finites(x, n*p) && smoe_finites(dK, n*n));
      assigns dx[0 .. n*p-1];
      ensures \result == SMOE_OK || \result == SMOE_EOVRFLW;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_gram_linear_vjp(size_t n, size_t p, const double *x, const double *dK, double *dx);

/* (K.2) Squared distances:  D_ij = sum_k (x_ik - x_jk)^2,  by direct differences; symmetric, the diagonal is 0
 *
 *   x  [n,p]
 *   D  [n,n]  out
 *
 * Errors: SMOE_EINVAL if n or p is 0; SMOE_EDOM; SMOE_EOVRFLW.
 */
/*@ requires smoe_size(n*p) && smoe_size(n*n) && \valid_read(x + (0 .. n*p-1)) && \valid(D + (0 .. n*n-1));
    requires \separated(x + (0 .. n*p-1), D + (0 .. n*n-1));
    behavior sizes:
      assumes n == 0 || p == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes !(n == 0 || p == 0) && !(smoe_finites(x, n*p));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes !(n == 0 || p == 0) && smoe_finites(x, n*p);
      assigns D[0 .. n*n-1];
      ensures \result == SMOE_OK || \result == SMOE_EOVRFLW;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_squared_distances(size_t n, size_t p, const double *x, double *D);

/* (K.2), gradient:  dx_ik = sum_j 2 (dD_ij + dD_ji) (x_ik - x_jk) */
/*@ requires smoe_size(n*p) && smoe_size(n*n) && \valid_read(x + (0 .. n*p-1)) && \valid_read(dD + (0 .. n*n-1)) && \valid(dx + (0 .. n*p-1));
    requires \separated(x + (0 .. n*p-1), dx + (0 .. n*p-1)) && \separated(dD + (0 .. n*n-1), dx + (0 .. n*p-1));
    behavior sizes:
      assumes n == 0 || p == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes !(n == 0 || p == 0) && !((smoe_finites(x, n*p) && smoe_finites(dD, n*n)));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes !(n == 0 || p == 0) && (smoe_finites(x, n*p) && smoe_finites(dD, n*n));
      assigns dx[0 .. n*p-1];
      ensures \result == SMOE_OK || \result == SMOE_EOVRFLW;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_squared_distances_vjp(size_t n, size_t p, const double *x, const double *dD, double *dx);

/* (K.2) The definition, line by line: the same bits as the two above, slower. */
/*@ requires smoe_size(n*p) && smoe_size(n*n) && \valid_read(x + (0 .. n*p-1)) && \valid(D + (0 .. n*n-1));
    requires \separated(x + (0 .. n*p-1), D + (0 .. n*n-1));
    behavior sizes:
      assumes n == 0 || p == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes !(n == 0 || p == 0) && !(smoe_finites(x, n*p));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes !(n == 0 || p == 0) && smoe_finites(x, n*p);
      assigns D[0 .. n*n-1];
      ensures \result == SMOE_OK || \result == SMOE_EOVRFLW;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_squared_distances_naive(size_t n, size_t p, const double *x, double *D);
/*@ requires smoe_size(n*p) && smoe_size(n*n) && \valid_read(x + (0 .. n*p-1)) && \valid_read(dD + (0 .. n*n-1)) && \valid(dx + (0 .. n*p-1));
    requires \separated(x + (0 .. n*p-1), dx + (0 .. n*p-1)) && \separated(dD + (0 .. n*n-1), dx + (0 .. n*p-1));
    behavior sizes:
      assumes n == 0 || p == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes !(n == 0 || p == 0) && !((smoe_finites(x, n*p) && smoe_finites(dD, n*n)));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes !(n == 0 || p == 0) && (smoe_finites(x, n*p) && smoe_finites(dD, n*n));
      assigns dx[0 .. n*p-1];
      ensures \result == SMOE_OK || \result == SMOE_EOVRFLW;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_squared_distances_vjp_naive(size_t n, size_t p, const double *x, const double *dD, double *dx);

/* (K.3) Bandwidth as given:  variance = sigma^2
 *
 * Errors: SMOE_EDOM if sigma is not finite and above 0, or if its square underflows to 0; SMOE_EOVRFLW.
 */
/*@ requires \valid(variance);
    assigns *variance;
    ensures \result == SMOE_OK || \result == SMOE_EDOM || \result == SMOE_EOVRFLW;
    ensures \result == SMOE_OK ==> *variance > 0;
    ensures \result != SMOE_OK ==> *variance == \old(*variance); */
smoe_status smoe_bandwidth_absolute(double sigma, double *variance);

/* (K.3) Bandwidth from the median:  variance = (sigma median sqrt D)^2  or  sigma^2 median D
 *
 *   how       its sigma, diagonal, middle and median
 *   D         [n,n]  squared distances
 *   variance  out
 *
 * Errors: SMOE_EINVAL if there is no distance or an enumerator is none; SMOE_EDOM if sigma is not finite and above 0, if a
 * distance that counts is not finite and not negative, or if the result is 0; SMOE_EOVRFLW.
 */
/*@ requires smoe_size(n*n) && \valid_read(how) && \valid_read(D + (0 .. n*n-1)) && \valid(variance);
    requires \separated(variance, how, D + (0 .. n*n-1));
    assigns *variance;
    ensures \result == SMOE_OK ==> *variance > 0;
    ensures \result != SMOE_OK ==> *variance == \old(*variance); */
smoe_status smoe_bandwidth_median(const smoe_similarity *how, size_t n, const double *D, double *variance);

/* (K.3), gradient: to the one or two middle elements (the first of equals, row by row); a distance of 0 gets none
 *
 *   dD  [n,n]  out
 */
smoe_status smoe_bandwidth_median_vjp(const smoe_similarity *how, size_t n, const double *D, double dvariance,
                                      double *dD);

/* (K.4) RBF kernel:  K_ij = exp(-D_ij / (2 variance))
 *
 *   D  [n,n]  squared distances, not negative
 *   K  [n,n]  out
 *
 * Errors: SMOE_EINVAL if n = 0; SMOE_EDOM, also if variance is not finite and above 0 or an element of D is negative.
 */
/*@ predicate smoe_distances{L}(double *D, integer n) = \forall integer k; 0 <= k < n ==> 0 <= D[k] && smoe_finite(D[k]); */
/*@ requires smoe_size(n*n) && \valid_read(D + (0 .. n*n-1)) && \valid(K + (0 .. n*n-1));
    requires \separated(D + (0 .. n*n-1), K + (0 .. n*n-1));
    behavior sizes:
      assumes n == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes !(n == 0) && !((0 < variance && smoe_finite(variance) && smoe_distances(D, n*n)));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes !(n == 0) && (0 < variance && smoe_finite(variance) && smoe_distances(D, n*n));
      assigns K[0 .. n*n-1];
      ensures \result == SMOE_OK;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_gram_rbf(size_t n, const double *D, double variance, double *K);

/* (K.4) RBF kernel less one:  K_ij = expm1(-D_ij / (2 variance)).  Centred (K.5, K.7) it is the same matrix, with small
 * relative error even where the kernel is 1 in all its digits.  Its gradient is smoe_gram_rbf_vjp's, too. */
/*@ requires smoe_size(n*n) && \valid_read(D + (0 .. n*n-1)) && \valid(K + (0 .. n*n-1));
    requires \separated(D + (0 .. n*n-1), K + (0 .. n*n-1));
    behavior sizes:
      assumes n == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes !(n == 0) && !((0 < variance && smoe_finite(variance) && smoe_distances(D, n*n)));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes !(n == 0) && (0 < variance && smoe_finite(variance) && smoe_distances(D, n*n));
      assigns K[0 .. n*n-1];
      ensures \result == SMOE_OK;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_gram_rbf_less_one(size_t n, const double *D, double variance, double *K);

/* (K.4) The one of the two above that is better U-centred (K.7, to which they are the same): K itself if all of its elements
 * off the diagonal are below 1/2 (D_ij / (2 variance) above ln 2, rounded), else K less one.  The gradient is theirs. */
/*@ requires smoe_size(n*n) && \valid_read(D + (0 .. n*n-1)) && \valid(K + (0 .. n*n-1));
    requires \separated(D + (0 .. n*n-1), K + (0 .. n*n-1));
    behavior sizes:
      assumes n == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes !(n == 0) && !((0 < variance && smoe_finite(variance) && smoe_distances(D, n*n)));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes !(n == 0) && (0 < variance && smoe_finite(variance) && smoe_distances(D, n*n));
      assigns K[0 .. n*n-1];
      ensures \result == SMOE_OK;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_gram_rbf_to_u_centre(size_t n, const double *D, double variance, double *K);

/* (K.4), gradient:  dD_ij = -dK_ij k_ij / (2 variance),  dvariance = sum_ij dK_ij k_ij D_ij / (2 variance^2),
 * k_ij = exp(-D_ij / (2 variance))
 *
 *   dD         [n,n]  out
 *   dvariance  out
 */
/*@ requires smoe_size(n*n) && \valid_read(D + (0 .. n*n-1)) && \valid_read(dK + (0 .. n*n-1)) && \valid(dD + (0 .. n*n-1)) && \valid(dvariance);
    requires \separated(D + (0 .. n*n-1), dD + (0 .. n*n-1), dvariance) && \separated(dK + (0 .. n*n-1), dD + (0 .. n*n-1), dvariance);
    behavior sizes:
      assumes n == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes !(n == 0) && !((0 < variance && smoe_finite(variance) && smoe_distances(D, n*n) && smoe_finites(dK, n*n)));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes !(n == 0) && (0 < variance && smoe_finite(variance) && smoe_distances(D, n*n) && smoe_finites(dK, n*n));
      assigns dD[0 .. n*n-1], *dvariance;
      ensures \result == SMOE_OK || \result == SMOE_EOVRFLW;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_gram_rbf_vjp(size_t n, const double *D, double variance, const double *dK, double *dD,
                              double *dvariance);

/* (K.5) Centred features:  xc_ik = (x_ik - x_0k) - mean_j (x_jk - x_0k).  Constant columns give 0, and a translation that
 * loses no digit of x changes no bit.  The gradient is the same map. */
/*@ requires smoe_size(n*p) && \valid_read(x + (0 .. n*p-1)) && \valid(xc + (0 .. n*p-1));
    requires \separated(x + (0 .. n*p-1), xc + (0 .. n*p-1));
    behavior sizes:
      assumes n == 0 || p == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes !(n == 0 || p == 0) && !(smoe_finites(x, n*p));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes !(n == 0 || p == 0) && smoe_finites(x, n*p);
      assigns xc[0 .. n*p-1];
      ensures \result == SMOE_OK || \result == SMOE_EOVRFLW;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_centre_features(size_t n, size_t p, const double *x, double *xc);

/* (K.5) Centring:  C = H K H,  H = I - 11^T/n:  each row less its mean, then each column less its mean.  K is any matrix;
 * the map is its own gradient.
 *
 *   K  [n,n]
 *   C  [n,n]  out
 *
 * Errors: SMOE_EINVAL if n = 0; SMOE_EDOM; SMOE_EOVRFLW.
 */
/*@ requires smoe_size(n*n) && \valid_read(K + (0 .. n*n-1)) && \valid(C + (0 .. n*n-1));
    requires \separated(K + (0 .. n*n-1), C + (0 .. n*n-1));
    assigns C[0 .. n*n-1];
    behavior sizes:
      assumes n == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes !(n == 0) && !(smoe_finites(K, n*n));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes !(n == 0) && smoe_finites(K, n*n);
      assigns C[0 .. n*n-1];
      ensures \result == SMOE_OK || \result == SMOE_EOVRFLW;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_centre(size_t n, const double *K, double *C);

/* (K.5) The same by its definition, as two products with H:  work [2n,n] */
/*@ requires smoe_size(2*n*n) && \valid_read(K + (0 .. n*n-1)) && \valid(work + (0 .. 2*n*n-1)) && \valid(C + (0 .. n*n-1));
    requires \separated(K + (0 .. n*n-1), work + (0 .. 2*n*n-1), C + (0 .. n*n-1));
    behavior sizes:
      assumes n == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes !(n == 0) && !(smoe_finites(K, n*n));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes !(n == 0) && smoe_finites(K, n*n);
      assigns work[0 .. 2*n*n-1], C[0 .. n*n-1];
      ensures \result == SMOE_OK || \result == SMOE_EOVRFLW;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_centre_definition(size_t n, const double *K, double *work, double *C);

/* (K.6) HSIC, biased:  hsic = tr(K H L H) / (n-1)^2 = sum_ij (HKH)_ij (HLH)_ij / (n-1)^2;  also / n^2, or undivided
 *
 *   K, L  [n,n]  Gram matrices
 *   work  [2n,n]
 *   hsic  out
 *
 * Errors: SMOE_EINVAL if n < 2; SMOE_EDOM; SMOE_EOVRFLW.
 */
/*@ requires smoe_size(2*n*n) && \valid_read(K + (0 .. n*n-1)) && \valid_read(L + (0 .. n*n-1));
    requires \valid(work + (0 .. 2*n*n-1)) && \valid(hsic);
    requires \separated(K + (0 .. n*n-1), work + (0 .. 2*n*n-1), hsic) && \separated(L + (0 .. n*n-1), work + (0 .. 2*n*n-1), hsic);
    assigns work[0 .. 2*n*n-1], *hsic;
    ensures n < 2 ==> \result == SMOE_EINVAL; */
smoe_status smoe_hsic_biased(size_t n, const double *K, const double *L, smoe_hsic_divisor divide, double *work,
                             double *hsic);

/* (K.6), gradient:  dK = dhsic HLH / (n-1)^2,  dL = dhsic HKH / (n-1)^2 */
/*@ requires smoe_size(n*n) && \valid_read(K + (0 .. n*n-1)) && \valid_read(L + (0 .. n*n-1));
    requires \valid(dK + (0 .. n*n-1)) && \valid(dL + (0 .. n*n-1));
    requires \separated(K + (0 .. n*n-1), dK + (0 .. n*n-1), dL + (0 .. n*n-1)) && \separated(L + (0 .. n*n-1), dK + (0 .. n*n-1), dL + (0 .. n*n-1));
    assigns dK[0 .. n*n-1], dL[0 .. n*n-1];
    ensures n < 2 ==> \result == SMOE_EINVAL; */
smoe_status smoe_hsic_biased_vjp(size_t n, const double *K, const double *L, smoe_hsic_divisor divide, double dhsic,
                                 double *dK, double *dL);

/* (K.7) U-centring:  U_ij = K_ij - (r_i + c_j) + t  off the diagonal, 0 on it;  r_i = sum_{l != i} K_il / (n-2),
 * c_j = sum_{k != j} K_kj / (n-2),  t = sum_{k != l} K_kl / ((n-1)(n-2)).  Its own gradient.
 *
 *   K     [n,n]
 *   sums  [2n]   workspace
 *   U     [n,n]  out
 *
 * Errors: SMOE_EINVAL if n < 3; SMOE_EDOM; SMOE_EOVRFLW.
 */
/*@ requires smoe_size(n*n) && smoe_size(2*n) && \valid_read(K + (0 .. n*n-1)) && \valid(sums + (0 .. 2*n-1)) && \valid(U + (0 .. n*n-1));
    requires \separated(K + (0 .. n*n-1), sums + (0 .. 2*n-1), U + (0 .. n*n-1));
    assigns sums[0 .. 2*n-1], U[0 .. n*n-1];
    behavior sizes:
      assumes n < 3;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes !(n < 3) && !(smoe_finites(K, n*n));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes !(n < 3) && smoe_finites(K, n*n);
      assigns sums[0 .. 2*n-1], U[0 .. n*n-1];
      ensures \result == SMOE_OK || \result == SMOE_EOVRFLW;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_u_centre(size_t n, const double *K, double *sums, double *U);

/* (K.8) HSIC, unbiased:  with k, l the matrices without their diagonals,
 *   hsic = [tr(k l) + 1^T k 1 1^T l 1 / ((n-1)(n-2)) - 2/(n-2) 1^T k l 1] / (n(n-3))
 *
 *   K, L  [n,n]  Gram matrices
 *   hsic  out: it may be negative
 *
 * Errors: SMOE_EINVAL if n < 4; SMOE_EDOM; SMOE_EOVRFLW.
 */
/*@ requires smoe_size(n*n) && \valid_read(K + (0 .. n*n-1)) && \valid_read(L + (0 .. n*n-1)) && \valid(hsic);
    requires \separated(K + (0 .. n*n-1), hsic) && \separated(L + (0 .. n*n-1), hsic);
    behavior sizes:
      assumes n < 4;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior values:
      assumes !(n < 4) && !((smoe_finites(K, n*n) && smoe_finites(L, n*n)));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes !(n < 4) && (smoe_finites(K, n*n) && smoe_finites(L, n*n));
      assigns *hsic;
      ensures \result == SMOE_OK || \result == SMOE_EOVRFLW;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_hsic_unbiased(size_t n, const double *K, const double *L, double *hsic);

/* (K.8) The same by U-centring:  hsic = sum_ij U(K)_ij U(L)_ij / (n(n-3));  work [2n,n] + [2n] */
/*@ requires smoe_size(2*n*n + 2*n) && \valid_read(K + (0 .. n*n-1)) && \valid_read(L + (0 .. n*n-1));
    requires \valid(work + (0 .. 2*n*n+2*n-1)) && \valid(hsic);
    requires \separated(K + (0 .. n*n-1), work + (0 .. 2*n*n+2*n-1), hsic) && \separated(L + (0 .. n*n-1), work + (0 .. 2*n*n+2*n-1), hsic);
    assigns work[0 .. 2*n*n+2*n-1], *hsic;
    ensures n < 4 ==> \result == SMOE_EINVAL; */
smoe_status smoe_hsic_debiased(size_t n, const double *K, const double *L, double *work, double *hsic);

/* (K.8), gradient of both, with respect to symmetric matrices:  dK = dhsic U(L) / (n(n-3)),  dL = dhsic U(K) / (n(n-3))
 *
 *   sums  [2n]  workspace
 */
/*@ requires smoe_size(n*n) && smoe_size(2*n) && \valid_read(K + (0 .. n*n-1)) && \valid_read(L + (0 .. n*n-1));
    requires \valid(sums + (0 .. 2*n-1)) && \valid(dK + (0 .. n*n-1)) && \valid(dL + (0 .. n*n-1));
    requires \separated(K + (0 .. n*n-1), sums + (0 .. 2*n-1), dK + (0 .. n*n-1), dL + (0 .. n*n-1));
    requires \separated(L + (0 .. n*n-1), sums + (0 .. 2*n-1), dK + (0 .. n*n-1), dL + (0 .. n*n-1));
    assigns sums[0 .. 2*n-1], dK[0 .. n*n-1], dL[0 .. n*n-1];
    ensures n < 4 ==> \result == SMOE_EINVAL; */
smoe_status smoe_hsic_unbiased_vjp(size_t n, const double *K, const double *L, double dhsic, double *sums, double *dK,
                                   double *dL);

/* (K.9) CKA as a ratio:  cka = h_xy / sqrt(h_xx h_yy);  exactly 1 if all three are the same
 *
 * Errors: SMOE_EDOM if h_xx or h_yy is not above 0 (no variance: not defined); SMOE_EOVRFLW.
 */
/*@ requires \valid(cka);
    assigns *cka;
    behavior values:
      assumes !(smoe_finite(h_xy) && 0 < h_xx && smoe_finite(h_xx) && 0 < h_yy && smoe_finite(h_yy));
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes smoe_finite(h_xy) && 0 < h_xx && smoe_finite(h_xx) && 0 < h_yy && smoe_finite(h_yy);
      assigns *cka;
      ensures \result == SMOE_OK || \result == SMOE_EOVRFLW;
    complete behaviors; disjoint behaviors; */
smoe_status smoe_cka_ratio(double h_xy, double h_xx, double h_yy, double *cka);

/* (K.9), gradient:  dh_xy = dcka / sqrt(h_xx h_yy),  dh_xx = -dcka cka / (2 h_xx),  dh_yy = -dcka cka / (2 h_yy) */
/*@ requires \valid(dh_xy) && \valid(dh_xx) && \valid(dh_yy) && \separated(dh_xy, dh_xx, dh_yy);
    assigns *dh_xy, *dh_xx, *dh_yy;
    ensures \result == SMOE_OK || \result == SMOE_EDOM || \result == SMOE_EOVRFLW; */
smoe_status smoe_cka_ratio_vjp(double h_xy, double h_xx, double h_yy, double dcka, double *dh_xy, double *dh_xx,
                               double *dh_yy);

/* (K.10) Moments of a pair of representations, in feature space, after a shift:  x stands for x - shift_x, y likewise. */
typedef struct {
    size_t n, p, q; /* rows so far; features */
    double *sx;     /* [p]    sum x */
    double *sy;     /* [q]    sum y */
    double *c;      /* [p,q]  sum x y^T */
    double *xyy;    /* [p]    sum x |y|^2 */
    double *yxx;    /* [q]    sum |x|^2 y */
    double xx, yy, xxyy; /* sum |x|^2, sum |y|^2, sum |x|^2 |y|^2 */
} smoe_moments;

/* (K.10) No rows yet: n and all sums to 0; p, q and the arrays are the caller's. */
/*@ requires \valid(m);
    requires smoe_size(m->p*m->q) && \valid(m->sx + (0 .. m->p-1)) && \valid(m->sy + (0 .. m->q-1));
    requires \valid(m->c + (0 .. m->p*m->q-1)) && \valid(m->xyy + (0 .. m->p-1)) && \valid(m->yxx + (0 .. m->q-1));
    requires \separated(m, m->sx + (0 .. m->p-1), m->sy + (0 .. m->q-1), m->c + (0 .. m->p*m->q-1),
                        m->xyy + (0 .. m->p-1), m->yxx + (0 .. m->q-1));
    assigns m->n, m->xx, m->yy, m->xxyy, m->sx[0 .. m->p-1], m->sy[0 .. m->q-1], m->c[0 .. m->p*m->q-1],
            m->xyy[0 .. m->p-1], m->yxx[0 .. m->q-1];
    ensures m->n == 0; */
void smoe_moments_start(smoe_moments *m);

/* (K.10) Adds rows, one after the other: the bits do not depend on how rows are cut into blocks.
 *
 *   x, y              [rows,p] [rows,q]
 *   shift_x, shift_y  [p] [q]  the same at every call; both NULL for no shift, and then work is not used
 *   work              [rows, p+q]
 *
 * Errors: SMOE_EINVAL if p or q is 0; SMOE_EDOM if a value is not finite (m is as before); SMOE_EOVRFLW.
 */
smoe_status smoe_moments_add(smoe_moments *m, size_t rows, const double *x, const double *y, const double *shift_x,
                             const double *shift_y, double *work);

/* (K.11) HSIC with linear kernels from moments; unbiased and debiased are one formula here
 *
 *   work  [p]
 *
 * Errors: SMOE_EINVAL if n < 2 (biased) or n < 4; SMOE_EOVRFLW.
 */
/*@ requires \valid_read(m) && \valid(hsic) && \valid(work + (0 .. m->p-1)) && smoe_size(m->p*m->q);
    requires \valid_read(m->sx + (0 .. m->p-1)) && \valid_read(m->sy + (0 .. m->q-1));
    requires \valid_read(m->c + (0 .. m->p*m->q-1));
    requires \valid_read(m->xyy + (0 .. m->p-1)) && \valid_read(m->yxx + (0 .. m->q-1));
    requires \separated(hsic, work + (0 .. m->p-1), m);
    requires \separated(work + (0 .. m->p-1), m->sx + (0 .. m->p-1)) && \separated(work + (0 .. m->p-1), m->sy + (0 .. m->q-1));
    requires \separated(work + (0 .. m->p-1), m->c + (0 .. m->p*m->q-1));
    assigns work[0 .. m->p-1], *hsic;
    ensures m->n < 2 ==> \result == SMOE_EINVAL; */
smoe_status smoe_hsic_moments(const smoe_moments *m, smoe_estimator estimator, smoe_hsic_divisor divide, double *work,
                              double *hsic);

/* (K.11), gradient with respect to rows of x, the moments being those of all rows of the pair (for y swap the roles)
 *
 *   x, y  [rows,p] [rows,q]  shifted rows
 *   work  [p,q] + [p]
 *   dx    [rows,p]  out
 */
smoe_status smoe_hsic_moments_vjp(const smoe_moments *m, smoe_estimator estimator, smoe_hsic_divisor divide,
                                  double dhsic, size_t rows, const double *x, const double *y, double *work, double *dx);

/* (K.1) (K.4) The Gram matrix as `how` says, and its bandwidth (0 for the linear kernel)
 *
 *   x         [n,p]
 *   work      smoe_gram_work doubles
 *   K         [n,n]  out
 *   variance  out
 *
 * Errors: SMOE_EINVAL if n or p is 0 or an enumerator is none; SMOE_EDOM; SMOE_EOVRFLW.
 */
smoe_status smoe_gram(const smoe_similarity *how, size_t n, size_t p, const double *x, double *work, double *K,
                      double *variance);
smoe_status smoe_gram_vjp(const smoe_similarity *how, size_t n, size_t p, const double *x, const double *dK,
                          double *work, double *dx);
size_t smoe_gram_work(size_t n, size_t p);

/* (K.5) The same, centred: what the biased HSIC is made of.  The features are centred, or one is taken off the kernel,
 * before anything is multiplied. */
smoe_status smoe_gram_centred(const smoe_similarity *how, size_t n, size_t p, const double *x, double *work, double *K,
                              double *variance);
smoe_status smoe_gram_centred_vjp(const smoe_similarity *how, size_t n, size_t p, const double *x, const double *dK,
                                  double *work, double *dx);

/* (K.6) (K.8) (K.11) HSIC of two representations
 *
 *   x, y  [n,p] [n,q]
 *   work  smoe_hsic_work doubles
 *   hsic  out
 *
 * Errors: SMOE_EINVAL if p or q is 0, n < 2 (biased) or n < 4, an enumerator is none, or route = features with a kernel
 * that is not linear; SMOE_EDOM, also if a median distance is 0; SMOE_EOVRFLW.
 */
smoe_status smoe_hsic(const smoe_similarity *how, size_t n, size_t p, const double *x, size_t q, const double *y,
                      double *work, double *hsic);
smoe_status smoe_hsic_vjp(const smoe_similarity *how, size_t n, size_t p, const double *x, size_t q, const double *y,
                          double dhsic, double *work, double *dx, double *dy);
size_t smoe_hsic_work(const smoe_similarity *how, size_t n, size_t p, size_t q);

/* (K.9) (K.11) CKA of two representations:  HSIC(K,L) / sqrt(HSIC(K,K) HSIC(L,L));  exactly 1 for x = y
 *
 *   work  smoe_cka_work doubles
 *   cka   out: in [0,1] if biased, else in [-1,1], up to rounding
 *
 * Errors: those of smoe_hsic, and SMOE_EDOM if HSIC(K,K) or HSIC(L,L) is not above 0.
 */
smoe_status smoe_cka(const smoe_similarity *how, size_t n, size_t p, const double *x, size_t q, const double *y,
                     double *work, double *cka);
smoe_status smoe_cka_vjp(const smoe_similarity *how, size_t n, size_t p, const double *x, size_t q, const double *y,
                         double dcka, double *work, double *dx, double *dy);
size_t smoe_cka_work(const smoe_similarity *how, size_t n, size_t p, size_t q);

/* (K.12) Minibatch CKA:  the ratio (K.9) of the means of HSIC_1(K,L), HSIC_1(K,K), HSIC_1(L,L) over batches of
 * consecutive rows, each with a bandwidth of its own if that is a median's.  Only the kernel of `how` is looked at.
 *
 *   batch  rows of a batch; divides n
 *   work   smoe_cka_minibatch_work doubles
 *   cka    out
 *
 * Errors: SMOE_EINVAL if batch < 4 or it does not divide n, n, p or q is 0, or an enumerator is none; SMOE_EDOM as smoe_cka;
 * SMOE_EOVRFLW.
 */
smoe_status smoe_cka_minibatch(const smoe_similarity *how, size_t n, size_t batch, size_t p, const double *x, size_t q,
                               const double *y, double *work, double *cka);
smoe_status smoe_cka_minibatch_vjp(const smoe_similarity *how, size_t n, size_t batch, size_t p, const double *x,
                                   size_t q, const double *y, double dcka, double *work, double *dx, double *dy);
size_t smoe_cka_minibatch_work(size_t batch, size_t p, size_t q);

/* (K.12) The same from sums over the batches, for who goes through them one by one:
 * cka = (sum_xy / batches) / sqrt((sum_xx / batches) (sum_yy / batches))
 *
 * Errors: SMOE_EINVAL if batches = 0; SMOE_EDOM as smoe_cka_ratio; SMOE_EOVRFLW.
 */
/*@ requires \valid(cka);
    assigns *cka;
    ensures batches == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_cka_of_batches(size_t batches, double sum_xy, double sum_xx, double sum_yy, double *cka);

/* (K.13) Cosine of paired rows:  value = (1/n) sum_i <x_i, y_i> / (|x_i| |y_i|);  a row that is 0 in x or y counts 0
 *
 *   x, y   [n,d]
 *   value  out
 *
 * Errors: SMOE_EINVAL if n or d is 0; SMOE_EDOM; SMOE_EOVRFLW.
 */
/*@ requires smoe_size(n*d) && \valid_read(x + (0 .. n*d-1)) && \valid_read(y + (0 .. n*d-1)) && \valid(value);
    requires \separated(x + (0 .. n*d-1), value) && \separated(y + (0 .. n*d-1), value);
    assigns *value;
    ensures n == 0 || d == 0 ==> \result == SMOE_EINVAL;
    ensures \result != SMOE_OK ==> *value == \old(*value); */
smoe_status smoe_cosine(size_t n, size_t d, const double *x, const double *y, double *value);
/*@ requires smoe_size(n*d) && \valid_read(x + (0 .. n*d-1)) && \valid_read(y + (0 .. n*d-1));
    requires \valid(dx + (0 .. n*d-1)) && \valid(dy + (0 .. n*d-1));
    requires \separated(x + (0 .. n*d-1), dx + (0 .. n*d-1), dy + (0 .. n*d-1)) && \separated(y + (0 .. n*d-1), dx + (0 .. n*d-1), dy + (0 .. n*d-1));
    assigns dx[0 .. n*d-1], dy[0 .. n*d-1];
    ensures n == 0 || d == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_cosine_vjp(size_t n, size_t d, const double *x, const double *y, double dvalue, double *dx,
                            double *dy);

/* (K.13), variant absolute:  value = (1/n) sum_i |cosine_i|;  its derivative is 0 where the cosine is */
/*@ requires smoe_size(n*d) && \valid_read(x + (0 .. n*d-1)) && \valid_read(y + (0 .. n*d-1)) && \valid(value);
    requires \separated(x + (0 .. n*d-1), value) && \separated(y + (0 .. n*d-1), value);
    assigns *value;
    ensures n == 0 || d == 0 ==> \result == SMOE_EINVAL;
    ensures \result != SMOE_OK ==> *value == \old(*value); */
smoe_status smoe_cosine_absolute(size_t n, size_t d, const double *x, const double *y, double *value);
/*@ requires smoe_size(n*d) && \valid_read(x + (0 .. n*d-1)) && \valid_read(y + (0 .. n*d-1));
    requires \valid(dx + (0 .. n*d-1)) && \valid(dy + (0 .. n*d-1));
    requires \separated(x + (0 .. n*d-1), dx + (0 .. n*d-1), dy + (0 .. n*d-1)) && \separated(y + (0 .. n*d-1), dx + (0 .. n*d-1), dy + (0 .. n*d-1));
    assigns dx[0 .. n*d-1], dy[0 .. n*d-1];
    ensures n == 0 || d == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_cosine_absolute_vjp(size_t n, size_t d, const double *x, const double *y, double dvalue, double *dx,
                                     double *dy);

#endif
