/* Estimators of a mixture (T.12, T.13 and maximum likelihood): what iterates over the equations of ref/convergence.h.
 *
 * Maximum likelihood is GSL's BFGS (vector_bfgs2) on the log-likelihood and score of (T.5).  Its coordinates are those of
 * theta with ln nu for nu, without what a translation leaves undetermined (the gate's parameters of the last
 * atom stay where they start), made round by the Cholesky factor of the Fisher information at the start: there the
 * Hessian is near the identity, a full step is near Newton's, and a fit needs about ten evaluations.
 *
 * A fit has converged when the score is less than `tolerance` standard errors away from zero, sqrt(n) |g| in
 * those coordinates, or when the last steps gained no likelihood that statistics could see (flat directions of
 * an over-specified model).  Whatever else ends it is a failure with a name.
 */
#ifndef SMOEREF_ORACLE_CONVERGENCE_FIT_H
#define SMOEREF_ORACLE_CONVERGENCE_FIT_H

#include "convergence.h"

typedef enum {
    FIT_CONVERGED,
    FIT_STALLED, /* no step raises the likelihood, and yet the score is not small */
    FIT_LIMIT, /* too many iterations */
    FIT_COLLAPSED, /* an atom's variance fell below `floor` times the least at the start: the likelihood is unbounded */
    FIT_UNDEFINED, /* the likelihood, the information or a step of EM is undefined at some point; a constant x, or no
                    * more samples than parameters */
    FIT_STATUSES
} fit_status;
extern const char *const fit_status_name[FIT_STATUSES]; /* "converged", ... */

typedef struct {
    size_t iterations; /* limit, of one start */
    double tolerance; /* in standard errors */
    double floor; /* of a variance, relative to the least at the start */
} fit_options;
fit_options fit_defaults(void);

typedef struct {
    fit_status status;
    double loglik; /* mean over the samples; where status is FIT_CONVERGED */
    size_t evaluations; /* of the likelihood or steps of EM, over all starts */
    size_t failed; /* starts that did not converge */
} fit_result;

/* The converged fit of greatest likelihood over the starts [starts,k,p]; x [n,d], y [n].  theta [k,p] is written if
 * the status is FIT_CONVERGED; else the status is the last start's. */
fit_result fit_likelihood(const smoe_mix_shape *shape, size_t n, const double *x, const double *y, size_t starts,
                          const double *start, const fit_options *options, double *theta);
/* The same by (generalised) EM, linear experts. */
fit_result fit_em(const smoe_mix_shape *shape, size_t n, const double *x, const double *y, size_t starts,
                  const double *start, const fit_options *options, double *theta);
/* With the labels known, linear experts; the gate's parameters are those of the start [k,p].  FIT_UNDEFINED if an atom
 * has too few samples. */
fit_result fit_oracle(const smoe_mix_shape *shape, size_t n, const double *x, const double *y, const size_t *label,
                      const double *start, double *theta);

#endif
