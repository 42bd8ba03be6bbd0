/* Distances between conditional densities (T.8) by GSL's quadrature.
 *
 * At each x the two mixtures are integrated over an interval beyond which next to nothing is left (that is added to the
 * error), cut where the densities cross, so that every piece of |p - q| is analytic, and at the atoms' means.  The
 * error that is claimed is the sum of the Gauss-Kronrod estimates of all pieces, what lies outside, and the rounding of
 * the densities themselves.
 */
#ifndef SMOEREF_ORACLE_CONVERGENCE_DISTANCE_H
#define SMOEREF_ORACLE_CONVERGENCE_DISTANCE_H

#include "convergence.h"

typedef struct {
    double variation, variation_error; /* mean over x of V = 1/2 int |p - q| dy */
    double hellinger_square, square_error; /* mean over x of h^2 = 1/2 int (sqrt p - sqrt q)^2 dy */
} mix_distance;

/* Between p(y|x; theta_p) and q(y|x; theta_q), averaged over x [n,d].  The shapes must agree in d.
 * SMOE_EINVAL for shapes or n = 0, SMOE_EDOM for values, SMOE_EOVRFLW if a distance is not finite. */
smoe_status mix_distances(const smoe_mix_shape *p, const double *theta_p, const smoe_mix_shape *q,
                          const double *theta_q, size_t n, const double *x, mix_distance *result);

#endif
