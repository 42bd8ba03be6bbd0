/* Chapter T: Gaussian mixtures of experts, their likelihood, distances, losses and estimators, spec/08-convergence.md.
 *
 * Y given X = x has the density  p(y|x) = sum_i pi_i(x) N(y; h_i(x), nu_i)  over k atoms, x in R^d, y in R.  The atoms
 * compete: pi_i is made of the responses h_i themselves, or, for comparison, of a softmax gate of its own.
 *
 * Parameters are one array theta [k,p], atom by atom, p = smoe_mix_stride(shape):
 *
 *   eta    [e]  the expert: linear  a [d], b;  one hidden layer  w [H,d], c [H], v [H], b;  e = smoe_mix_expert_size
 *   nu          the variance itself, above 0
 *   beta0       the log of the free weight, if shape->free_weights
 *   beta1  [d]  the slope of the gate, if shape->gate is SMOE_MIX_SOFTMAX
 *
 * A gradient dtheta has the same layout.  Workspace is an argument, of smoe_mix_work(shape) doubles where nothing else
 * is said, and holds nothing between calls.  Sums over atoms and samples are ascending.  vjps overwrite.
 *
 * Errors of all functions that take a shape: SMOE_EINVAL for a shape that smoe_mix_check refuses, SMOE_EDOM for a
 * value that is not finite or a variance that is not above 0 (nothing is written), SMOE_EOVRFLW if a finite input made
 * a result overflow (outputs unspecified).  Data that determine nothing (constant x, fewer samples than parameters, no
 * sample for an atom) are SMOE_EDOM, never a NaN.
 */
#ifndef SMOEREF_CONVERGENCE_H
#define SMOEREF_CONVERGENCE_H

#include <stdbool.h>
#include <stddef.h>

#include "numerics.h"

/* (T.2) The score that the weights are made of:  |h|;  ln softplus(h), that is weights s / sum s;  softplus(h);
 * beta1'x.  The first three have no parameters of their own. */
typedef enum { SMOE_MIX_NORM, SMOE_MIX_SOFTPLUS, SMOE_MIX_SOFTPLUS_SOFTMAX, SMOE_MIX_SOFTMAX } smoe_mix_gate;

/* (T.1) a'x + b;  sum_m v_m phi(w_m'x + c_m) + b  with phi = tanh, GELU, sigmoid */
typedef enum { SMOE_MIX_LINEAR, SMOE_MIX_TANH, SMOE_MIX_GELU, SMOE_MIX_SIGMOID } smoe_mix_expert;

typedef struct {
    smoe_mix_gate gate;
    smoe_mix_expert expert;
    bool free_weights; /* e^beta0 multiplies an atom's weight */
    size_t k; /* atoms, at least 1 */
    size_t d; /* width of x, at least 1 */
    size_t H; /* hidden units; 0 for linear experts, else at least 1 */
    size_t topk; /* atoms that get weight at a given x; 0 for all of them */
} smoe_mix_shape;

/* Words of the contracts: sizes of the expert, of an atom, of all parameters, of the workspace. */
/*@ logic integer mix_e{L}(smoe_mix_shape *s) = s->expert == SMOE_MIX_LINEAR ? s->d + 1 : s->H * (s->d + 2) + 1;
    logic integer mix_p{L}(smoe_mix_shape *s) =
      mix_e(s) + 1 + (s->free_weights ? 1 : 0) + (s->gate == SMOE_MIX_SOFTMAX ? s->d : 0);
    logic integer mix_all{L}(smoe_mix_shape *s) = s->k * mix_p(s);
    logic integer mix_w{L}(smoe_mix_shape *s) = 16 * s->k + 2 * s->H;
    logic integer cell_size{L}(size_t *cell, integer k, integer j) =
      k <= 0 ? 0 : cell_size(cell, k - 1, j) + (cell[k-1] == j ? 1 : 0);
    predicate mix_status(integer r) = r == SMOE_OK || r == SMOE_EINVAL || r == SMOE_EDOM || r == SMOE_EOVRFLW;
    predicate mix_model{L}(smoe_mix_shape *s, double *theta, double *work) =
      \valid_read(s) && \valid_read(theta + (0 .. mix_all(s)-1)) && \valid(work + (0 .. mix_w(s)-1));
    predicate mix_sample{L}(smoe_mix_shape *s, integer n, double *x, double *y) =
      \valid_read(x + (0 .. n*s->d-1)) && \valid_read(y + (0 .. n-1)); */

/* --- the parameters' layout --------------------------------------------------------------------------------------- */

/* SMOE_OK, or SMOE_EINVAL: k or d is 0, topk > k, H does not go with the expert, an unknown gate or expert. */
/*@ requires \valid_read(shape);
    assigns \nothing;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL;
    ensures \result == SMOE_OK ==> shape->k > 0 && shape->d > 0 && shape->topk <= shape->k;
    ensures \result == SMOE_OK ==> (shape->expert == SMOE_MIX_LINEAR <==> shape->H == 0); */
smoe_status smoe_mix_check(const smoe_mix_shape *shape);

/*@ requires \valid_read(shape);
    assigns \nothing;
    ensures smoe_size(mix_e(shape)) ==> \result == mix_e(shape); */
size_t smoe_mix_expert_size(const smoe_mix_shape *shape); /* e: d + 1, or H(d+2) + 1 */
/*@ requires \valid_read(shape);
    assigns \nothing;
    ensures smoe_size(mix_p(shape) + 1) ==> \result == mix_p(shape); */
size_t smoe_mix_stride(const smoe_mix_shape *shape); /* p: e + 1, + 1 if free, + d if softmax */
/*@ requires \valid_read(shape);
    assigns \nothing;
    ensures smoe_size(mix_p(shape) + 1) && smoe_size(mix_all(shape)) ==> \result == mix_all(shape); */
size_t smoe_mix_parameters(const smoe_mix_shape *shape); /* k p */
/*@ requires \valid_read(shape);
    assigns \nothing;
    ensures smoe_size(mix_w(shape)) ==> \result == mix_w(shape); */
size_t smoe_mix_work(const smoe_mix_shape *shape); /* doubles of workspace: 16 k + 2 H */

/* Where in an atom: the variance; the free weight's log and the gate's slope, if there are any. */
/*@ requires \valid_read(shape);
    assigns \nothing;
    ensures smoe_size(mix_e(shape)) ==> \result == mix_e(shape); */
size_t smoe_mix_variance_at(const smoe_mix_shape *shape);
/*@ requires \valid_read(shape);
    assigns \nothing;
    ensures smoe_size(mix_e(shape) + 1) ==> \result == mix_e(shape) + 1; */
size_t smoe_mix_beta0_at(const smoe_mix_shape *shape);
/*@ requires \valid_read(shape);
    assigns \nothing;
    ensures smoe_size(mix_e(shape) + 2) ==> \result == mix_e(shape) + 1 + (shape->free_weights ? 1 : 0); */
size_t smoe_mix_beta1_at(const smoe_mix_shape *shape);

/* --- the model ---------------------------------------------------------------------------------------------------- */

/* (T.1) An expert:  linear h = <a,x> + b;  hidden  z_m = <w_m,x> + c_m,  h = <v, phi(z)> + b
 *
 *   eta  [e]   the expert's part of an atom
 *   x    [d]
 *   work [H]
 *   h    out
 */
/*@ requires \valid_read(shape) && smoe_size(mix_e(shape));
    requires \valid_read(eta + (0 .. mix_e(shape)-1)) && \valid_read(x + (0 .. shape->d-1));
    requires \separated(work + (0 .. shape->H-1), eta + (0 .. mix_e(shape)-1), h, shape);
    requires \separated(work + (0 .. shape->H-1), x + (0 .. shape->d-1));
    requires \valid(work + (0 .. shape->H-1)) && \valid(h);
    assigns work[0 .. shape->H-1], *h;
    ensures mix_status(\result); */
smoe_status smoe_mix_mean(const smoe_mix_shape *shape, const double *eta, const double *x, double *work, double *h);

/* (T.1), gradient:  linear da = dh x, db = dh;  hidden dv_m = dh phi(z_m), dz_m = dh v_m phi'(z_m), dw_m = dz_m x,
 * dc_m = dz_m, db = dh;  dx = a dh or sum_m w_m dz_m
 *
 *   deta [e]  out
 *   dx   [d]  out
 */
/*@ requires \valid_read(shape) && smoe_size(mix_e(shape));
    requires \valid_read(eta + (0 .. mix_e(shape)-1)) && \valid_read(x + (0 .. shape->d-1));
    requires \separated(deta + (0 .. mix_e(shape)-1), dx + (0 .. shape->d-1), eta + (0 .. mix_e(shape)-1), shape);
    requires \separated(deta + (0 .. mix_e(shape)-1), dx + (0 .. shape->d-1), x + (0 .. shape->d-1));
    requires \valid(deta + (0 .. mix_e(shape)-1)) && \valid(dx + (0 .. shape->d-1));
    assigns deta[0 .. mix_e(shape)-1], dx[0 .. shape->d-1];
    ensures mix_status(\result); */
smoe_status smoe_mix_mean_vjp(const smoe_mix_shape *shape, const double *eta, const double *x, double dh, double *deta,
                              double *dx);

/* (T.2) The score of a response, of the three gates without parameters:  |h|, ln softplus(h), softplus(h) */
/*@ assigns \nothing; */
double smoe_mix_score(smoe_mix_gate gate, double h);
/*@ assigns \nothing; */
double smoe_mix_score_deriv(smoe_mix_gate gate, double h); /* sign h with sign 0 = 0;  sigma/s;  sigma(h) */
/*@ assigns \nothing; */
double smoe_mix_score_second_deriv(smoe_mix_gate gate, double h); /* 0;  (sigma/s)(sigma(-h) - sigma/s);  sigma' */

/* (T.1) to (T.3) at one x: all that the density of Y needs.
 *
 *   theta [k,p]
 *   x     [d]
 *   work  [smoe_mix_work]
 *   at    [4,k]  out: log-weights ln pi_i(x) (-inf for an atom outside the top K), means h_i(x), variances nu_i,
 *                constants -(ln 2 pi + ln nu_i)/2
 *   margin       out: K-th score less the (K+1)-th; +inf if all atoms have weight; may be NULL
 *
 * The scores compete before the free weights are added: score, top K, + beta0, log-softmax.
 */
/*@ requires mix_model(shape, theta, work);
    requires \valid_read(x + (0 .. shape->d-1)) && \valid(at + (0 .. 4*shape->k-1));
    requires margin == \null || \valid(margin);
    assigns work[0 .. mix_w(shape)-1], at[0 .. 4*shape->k-1], *margin;
    ensures mix_status(\result); */
smoe_status smoe_mix_at(const smoe_mix_shape *shape, const double *theta, const double *x, double *work, double *at,
                        double *margin);

/* (T.2) The weights alone:  pi [k] out, 0 outside the top K; they sum to 1 within rounding */
/*@ requires mix_model(shape, theta, work);
    requires \valid_read(x + (0 .. shape->d-1)) && \valid(pi + (0 .. shape->k-1));
    requires margin == \null || \valid(margin);
    assigns work[0 .. mix_w(shape)-1], pi[0 .. shape->k-1], *margin;
    ensures mix_status(\result); */
smoe_status smoe_mix_weights(const smoe_mix_shape *shape, const double *theta, const double *x, double *work,
                             double *pi, double *margin);

/* (T.3) ln N(y; mean, nu) = -(ln 2 pi + ln nu)/2 - (y - mean)^2 / nu / 2.  For finite arguments and nu > 0. */
/*@ requires nu > 0;
    assigns \nothing; */
double smoe_normal_log_density(double y, double mean, double nu);

/* (T.4) ln p(y) of the mixture `at` [4,k] of smoe_mix_at: logsumexp_i(ln pi_i + ln N(y; h_i, nu_i)) */
/*@ requires smoe_size(4*k) && \valid_read(at + (0 .. 4*k-1));
    assigns \nothing; */
double smoe_mixture_log_density(size_t k, const double *at, double y);

/* (T.4) ln p(y|x)
 *
 *   theta [k,p]   x [d]   y
 *   logp  out
 */
/*@ requires mix_model(shape, theta, work);
    requires \valid_read(x + (0 .. shape->d-1)) && \valid(logp);
    assigns work[0 .. mix_w(shape)-1], *logp;
    ensures mix_status(\result); */
smoe_status smoe_mix_log_density(const smoe_mix_shape *shape, const double *theta, const double *x, double y,
                                 double *work, double *logp);

/* (T.4), gradient
 *
 *   dlogp   the gradient of logp
 *   dtheta  [k,p]  out
 *   dx      [d]    out; may be NULL
 *   dy      out; may be NULL
 */
/*@ requires mix_model(shape, theta, work);
    requires \valid_read(x + (0 .. shape->d-1)) && \valid(dtheta + (0 .. mix_all(shape)-1));
    requires (dx == \null || \valid(dx + (0 .. shape->d-1))) && (dy == \null || \valid(dy));
    assigns work[0 .. mix_w(shape)-1], dtheta[0 .. mix_all(shape)-1], dx[0 .. shape->d-1], *dy;
    ensures mix_status(\result); */
smoe_status smoe_mix_log_density_vjp(const smoe_mix_shape *shape, const double *theta, const double *x, double y,
                                     double dlogp, double *work, double *dtheta, double *dx, double *dy);

/* (T.5) Log-likelihood:  L = (1/n) sum_t ln p(y_t|x_t)
 *
 *   theta  [k,p]   x [n,d]   y [n]
 *   loglik out
 *
 * Errors: also SMOE_EINVAL if n = 0.
 */
/*@ requires mix_model(shape, theta, work);
    requires mix_sample(shape, n, x, y);
    requires \valid(loglik);
    assigns work[0 .. mix_w(shape)-1], *loglik;
    ensures n == 0 ==> \result == SMOE_EINVAL;
    ensures mix_status(\result); */
smoe_status smoe_mix_loglik(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x,
                            const double *y, double *work, double *loglik);

/* (T.5), gradient
 *
 *   dloglik  the gradient of loglik
 *   dtheta   [k,p]  out
 *   dx [n,d]  dy [n]  out; may be NULL
 */
/*@ requires mix_model(shape, theta, work);
    requires mix_sample(shape, n, x, y);
    requires \valid(dtheta + (0 .. mix_all(shape)-1));
    requires (dx == \null || \valid(dx + (0 .. n*shape->d-1))) && (dy == \null || \valid(dy + (0 .. n-1)));
    assigns work[0 .. mix_w(shape)-1], dtheta[0 .. mix_all(shape)-1], dx[0 .. n*shape->d-1], dy[0 .. n-1];
    ensures mix_status(\result); */
smoe_status smoe_mix_loglik_vjp(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x,
                                const double *y, double dloglik, double *work, double *dtheta, double *dx, double *dy);

/* (T.5) Log-likelihood and score (its gradient) in one pass: the bits of smoe_mix_loglik and of its vjp with 1. */
/*@ requires mix_model(shape, theta, work);
    requires mix_sample(shape, n, x, y);
    requires \valid(loglik) && \valid(score + (0 .. mix_all(shape)-1));
    assigns work[0 .. mix_w(shape)-1], *loglik, score[0 .. mix_all(shape)-1];
    ensures mix_status(\result); */
smoe_status smoe_mix_loglik_score(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x,
                                  const double *y, double *work, double *loglik, double *score);

/* (T.6) Hessian-vector product:  Hv = d/de (gradient of L at theta + e v) at e = 0
 *
 *   v   [k,p]  the direction
 *   Hv  [k,p]  out
 */
/*@ requires mix_model(shape, theta, work);
    requires mix_sample(shape, n, x, y);
    requires \valid_read(v + (0 .. mix_all(shape)-1)) && \valid(Hv + (0 .. mix_all(shape)-1));
    assigns work[0 .. mix_w(shape)-1], Hv[0 .. mix_all(shape)-1];
    ensures mix_status(\result); */
smoe_status smoe_mix_hvp(const smoe_mix_shape *shape, size_t n, const double *theta, const double *v, const double *x,
                         const double *y, double *work, double *Hv);

/* (T.7) Sampling with draws as inputs:  label = min{ i : pi_i > 0, u < pi_0 + ... + pi_i } (the last with weight if
 * rounding leaves none),  y = h_label + sqrt(nu_label) z
 *
 *   x [n,d]   u [n] in [0,1)   z [n]  (standard normal draws)
 *   label  [n]  out
 *   margin [n]  out: how far u is from the nearest boundary between labels, and no more than the margin of the top K;
 *               may be NULL
 *   y      [n]  out
 */
/*@ requires mix_model(shape, theta, work);
    requires \valid_read(x + (0 .. n*shape->d-1)) && \valid_read(u + (0 .. n-1)) && \valid_read(z + (0 .. n-1));
    requires \valid(label + (0 .. n-1)) && \valid(y + (0 .. n-1));
    requires margin == \null || \valid(margin + (0 .. n-1));
    assigns work[0 .. mix_w(shape)-1], label[0 .. n-1], margin[0 .. n-1], y[0 .. n-1];
    ensures mix_status(\result); */
smoe_status smoe_mix_sample(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x,
                            const double *u, const double *z, double *work, size_t *label, double *margin, double *y);

/* --- distances ---------------------------------------------------------------------------------------------------- */

/* (T.8) What is integrated over y:  |p - q| / 2  and  (sqrt p - sqrt q)^2 / 2,  given ln p and ln q (not +inf, NaN) */
/*@ assigns \nothing; */
double smoe_total_variation_integrand(double logp, double logq);
/*@ assigns \nothing; */
double smoe_hellinger_integrand(double logp, double logq);

/* (T.8) An interval that has nearly all of the mass: lo = min h_i - r sqrt(nu_i), hi = max h_i + r sqrt(nu_i), i over
 * the atoms with weight. */
/*@ requires smoe_size(4*k) && \valid_read(at + (0 .. 4*k-1)) && \valid(lo) && \valid(hi);
    requires \separated(at + (0 .. 4*k-1), lo, hi);
    requires \forall integer j; 2*k <= j < 3*k ==> at[j] > 0;
    assigns *lo, *hi; */
void smoe_mixture_interval(size_t k, const double *at, double r, double *lo, double *hi);

/* (T.8) The mass outside [lo, hi]:  sum_i pi_i (Phi((lo - h_i)/sqrt nu_i) + Phi((h_i - hi)/sqrt nu_i)).  The part of
 * V, and of h^2, outside is at most half the sum of both densities' masses there. */
/*@ requires smoe_size(4*k) && \valid_read(at + (0 .. 4*k-1));
    requires \forall integer j; 2*k <= j < 3*k ==> at[j] > 0;
    assigns \nothing; */
double smoe_mixture_outside(size_t k, const double *at, double lo, double hi);

/* (T.8) Rounding of the density of a mixture `at` [4,k]:  sqrt(sum_i pi_i E eta_i^2), where the density of atom i comes out
 * as 1 + eta_i times itself at points y that are at most `far` from 0.
 */
/*@ requires smoe_size(4*k) && \valid_read(at + (0 .. 4*k-1));
    requires \forall integer j; 2*k <= j < 3*k ==> at[j] > 0;
    assigns \nothing; */
double smoe_mixture_noise(size_t k, const double *at, double far);

/* (T.8) V and h^2 between two mixtures, each `at` [4,k] of smoe_mix_at, by adaptive Gauss-Legendre quadrature
 *
 *   p         [4,kp]  q [4,kq]
 *   work      [5 (kp+kq)]
 *   variation out: V, in [0,1] within its error
 *   square    out: h^2
 *   error     [2]  out: how far the two may be from those of the mixtures as they are given; may be NULL
 *
 * Errors: SMOE_EOVRFLW if a result is not finite.  The error is an estimate: differences of panels and their halves,
 * tails, mass that was not met with, roundings.
 */
/*@ requires smoe_size(4*kp) && smoe_size(4*kq) && smoe_size(5*(kp+kq));
    requires \valid_read(p + (0 .. 4*kp-1)) && \valid_read(q + (0 .. 4*kq-1)) && \valid(work + (0 .. 5*(kp+kq)-1));
    requires \valid(variation) && \valid(square) && (error == \null || \valid(error + (0 .. 1)));
    requires \forall integer j; 2*kp <= j < 3*kp ==> p[j] > 0;
    requires \forall integer j; 2*kq <= j < 3*kq ==> q[j] > 0;
    assigns work[0 .. 5*(kp+kq)-1], *variation, *square, error[0 .. 1];
    ensures \result == SMOE_OK || \result == SMOE_EOVRFLW; */
smoe_status smoe_mixture_distance(size_t kp, const double *p, size_t kq, const double *q, double *work,
                                  double *variation, double *square, double *error);

/* (T.8) Total variation and Hellinger distance of two models, averaged over x:  tv = (1/n) sum_t V,
 * hellinger = sqrt((1/n) sum_t h^2)
 *
 *   theta_p   of shape p, theta_q of shape q; their d are the same
 *   x         [n,d]
 *   work      [smoe_mix_distance_work]
 *   variation [n]  out: V at each x
 *   square    [n]  out: h^2 at each x
 *   error     [n,2] out: as above; may be NULL
 *   tv, hellinger  out
 *
 * Errors: also SMOE_EINVAL if n = 0 or the widths of x differ.
 */
/*@ requires mix_model(p, (double *)theta_p, work) && mix_model(q, (double *)theta_q, work);
    requires \valid_read(x + (0 .. n*p->d-1)) && \valid(tv) && \valid(hellinger);
    requires \valid(work + (0 .. mix_w(p)+mix_w(q)+9*(p->k+q->k)-1));
    requires \valid(variation + (0 .. n-1)) && \valid(square + (0 .. n-1));
    requires error == \null || \valid(error + (0 .. 2*n-1));
    assigns work[0 .. mix_w(p)+mix_w(q)+9*(p->k+q->k)-1], variation[0 .. n-1], square[0 .. n-1], error[0 .. 2*n-1],
            *tv, *hellinger;
    ensures n == 0 ==> \result == SMOE_EINVAL;
    ensures mix_status(\result); */
smoe_status smoe_mix_distance(const smoe_mix_shape *p, const double *theta_p, const smoe_mix_shape *q,
                              const double *theta_q, size_t n, const double *x, double *work, double *variation,
                              double *square, double *error, double *tv, double *hellinger);
/*@ requires \valid_read(p) && \valid_read(q);
    assigns \nothing;
    ensures \let all = mix_w(p) + mix_w(q) + 9*(p->k + q->k); smoe_size(all) ==> \result == all; */
size_t smoe_mix_distance_work(const smoe_mix_shape *p, const smoe_mix_shape *q); /* of both, + 9 (k of p + k of q) */

/* --- losses between mixing measures ------------------------------------------------------------------------------- */

/* (T.9) Normal form, what a translation of the softmax gate leaves alone, in place: beta0_i - logsumexp(beta0) if the
 * weights are free, beta1_i - sum_j m_j beta1_j with m = softmax(beta0), or 1/k if they are not free.
 *
 *   theta [k,p]
 */
/*@ requires \valid_read(shape) && smoe_size(mix_p(shape) + 1) && smoe_size(mix_all(shape));
    requires \valid(theta + (0 .. mix_all(shape)-1)) && \separated(theta + (0 .. mix_all(shape)-1), shape);
    assigns theta[0 .. mix_all(shape)-1];
    ensures mix_status(\result); */
smoe_status smoe_mix_normal_form(const smoe_mix_shape *shape, double *theta);

/* (T.9) Atoms as the losses see them: (beta1 if there is one, a, b, nu), m = p - 1 if free else p
 *
 *   atoms [k,m]   out, linear experts and others: beta1, eta, nu
 *   beta0 [k]     out; 0 if the weights are not free
 */
/*@ requires \valid_read(shape) && smoe_size(mix_p(shape) + 1) && smoe_size(mix_all(shape));
    requires \valid_read(theta + (0 .. mix_all(shape)-1)) && \valid(beta0 + (0 .. shape->k-1));
    requires \valid(atoms + (0 .. mix_all(shape)-1));
    requires \separated(atoms + (0 .. mix_all(shape)-1), beta0 + (0 .. shape->k-1), shape);
    requires \separated(atoms + (0 .. mix_all(shape)-1), beta0 + (0 .. shape->k-1), theta + (0 .. mix_all(shape)-1));
    assigns atoms[0 .. mix_all(shape)-1], beta0[0 .. shape->k-1];
    ensures mix_status(\result); */
smoe_status smoe_mix_atoms(const smoe_mix_shape *shape, const double *theta, double *atoms, double *beta0);

/* (T.9) Voronoi cells:  cell_i = argmin_j |theta_i - theta*_j|, the lowest j among equals
 *
 *   atoms  [k,m]     truth [kstar,m]
 *   cell   [k]       out
 *   work   [m]
 *   margin [k]       out: the second least distance less the least; +inf if kstar = 1; may be NULL
 *
 * Errors: SMOE_EINVAL if k, kstar or m is 0; SMOE_EDOM; SMOE_EOVRFLW.
 */
/*@ requires smoe_size(k*m) && smoe_size(kstar*m);
    requires \valid_read(atoms + (0 .. k*m-1)) && \valid_read(truth + (0 .. kstar*m-1));
    requires \valid(work + (0 .. m-1)) && \valid(cell + (0 .. k-1));
    requires margin == \null || \valid(margin + (0 .. k-1));
    requires \separated(work + (0 .. m-1), atoms + (0 .. k*m-1));
    requires \separated(work + (0 .. m-1), truth + (0 .. kstar*m-1));
    requires \separated(work + (0 .. m-1), cell + (0 .. k-1)) && \separated(atoms + (0 .. k*m-1), cell + (0 .. k-1));
    requires \separated(truth + (0 .. kstar*m-1), cell + (0 .. k-1));
    requires \separated(margin + (0 .. k-1), work + (0 .. m-1)) && \separated(margin + (0 .. k-1), cell + (0 .. k-1));
    requires \separated(margin + (0 .. k-1), atoms + (0 .. k*m-1));
    requires \separated(margin + (0 .. k-1), truth + (0 .. kstar*m-1));
    assigns work[0 .. m-1], cell[0 .. k-1], margin[0 .. k-1];
    ensures k == 0 || kstar == 0 || m == 0 ==> \result == SMOE_EINVAL;
    ensures \result == SMOE_OK ==> \forall integer i; 0 <= i < k ==> cell[i] < kstar; */
smoe_status smoe_voronoi_cells(size_t k, size_t kstar, size_t m, const double *atoms, const double *truth, double *work,
                               size_t *cell, double *margin);

/* (T.9) |A_j| = #{ i : cell_i = j } */
/*@ requires \valid_read(cell + (0 .. k-1));
    assigns \nothing;
    ensures \result == cell_size(cell, k, j);
    ensures \result <= k; */
size_t smoe_voronoi_size(size_t k, const size_t *cell, size_t j);

/* (T.10) D1 = sum_j | sum_{i in A_j} e^beta0_i - e^beta0*_j | + sum_j sum_{i in A_j} e^beta0_i |theta_i - theta*_j|
 *
 *   beta0 [k]  beta0star [kstar]   cell [k]  (T.9)
 *   work  [m]
 *   loss  out
 *
 * Errors: as (T.9); SMOE_EDOM if a cell is not below kstar.
 */
/*@ requires smoe_size(k*m) && smoe_size(kstar*m);
    requires \valid_read(atoms + (0 .. k*m-1)) && \valid_read(truth + (0 .. kstar*m-1));
    requires \valid_read(beta0 + (0 .. k-1)) && \valid_read(beta0star + (0 .. kstar-1));
    requires \valid_read(cell + (0 .. k-1));
    requires \valid(work + (0 .. m-1)) && \valid(loss);
    assigns work[0 .. m-1], *loss;
    ensures k == 0 || kstar == 0 || m == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_voronoi_exact(size_t k, size_t kstar, size_t m, const double *atoms, const double *truth,
                               const double *beta0, const double *beta0star, const size_t *cell, double *work,
                               double *loss);

/* (T.11) r(M), the least order at which the polynomial system of M merged atoms has no non-trivial solution:
 * r(1) = 1 (an atom alone has no such system), r(2) = 4, r(3) = 6.  SMOE_EINVAL for M = 0; SMOE_EDOM beyond 3, where
 * only r(M) >= 7 is known. */
/*@ requires \valid(order);
    behavior none:
      assumes M == 0;
      assigns \nothing;
      ensures \result == SMOE_EINVAL;
    behavior unknown:
      assumes M > 3;
      assigns \nothing;
      ensures \result == SMOE_EDOM;
    behavior good:
      assumes 1 <= M <= 3;
      assigns *order;
      ensures \result == SMOE_OK && *order == (M == 1 ? 1 : M == 2 ? 4 : 6);
    complete behaviors; disjoint behaviors; */
smoe_status smoe_voronoi_order(size_t M, double *order);

/* (T.11) D2: as D1, but an atom that shares its cell with others contributes  e^beta0_i sum_g |D_g|^rho_g,  D_g the
 * g-th of G groups of coordinates of theta_i - theta*_j and  rho_g = power_g + times_g r(|A_j|)
 *
 *   width  [G]  coordinates of each group; they sum to m
 *   power  [G]  times [G]   at least 0, and not both 0
 *   work   [m]
 *   loss   out
 *
 * (2, 2, r, r/2) for (beta1, a, b, nu) is power = (2,2,0,0), times = (0,0,1,1/2).
 * Errors: as (T.10); SMOE_EINVAL if G = 0 or the widths do not sum to m; SMOE_EDOM if a power makes no sense, or if
 * r(|A_j|) is needed and not known.
 */
/*@ requires smoe_size(k*m) && smoe_size(kstar*m);
    requires \valid_read(atoms + (0 .. k*m-1)) && \valid_read(truth + (0 .. kstar*m-1));
    requires \valid_read(beta0 + (0 .. k-1)) && \valid_read(beta0star + (0 .. kstar-1));
    requires \valid_read(cell + (0 .. k-1));
    requires \valid_read(width + (0 .. G-1)) && \valid_read(power + (0 .. G-1)) && \valid_read(times + (0 .. G-1));
    requires \valid(work + (0 .. m-1)) && \valid(loss);
    assigns work[0 .. m-1], *loss;
    ensures k == 0 || kstar == 0 || m == 0 || G == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_voronoi_over(size_t k, size_t kstar, size_t m, const double *atoms, const double *truth,
                              const double *beta0, const double *beta0star, const size_t *cell, size_t G,
                              const size_t *width, const double *power, const double *times, double *work,
                              double *loss);

/* --- estimators --------------------------------------------------------------------------------------------------- */

/* (T.12) Responsibilities, the E-step:  q_ti = pi_i(x_t) N(y_t; h_i(x_t), nu_i) / p(y_t|x_t)
 *
 *   q      [n,k]  out: rows sum to 1 within rounding
 *   loglik out: (T.5) at theta
 */
/*@ requires mix_model(shape, theta, work);
    requires mix_sample(shape, n, x, y);
    requires \valid(q + (0 .. n*shape->k-1)) && \valid(loglik);
    assigns work[0 .. mix_w(shape)-1], q[0 .. n*shape->k-1], *loglik;
    ensures mix_status(\result); */
smoe_status smoe_mix_responsibilities(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x,
                                      const double *y, double *work, double *q, double *loglik);

/* (T.12) Q(theta) = (1/n) sum_t sum_i q_ti (ln pi_i(x_t) + ln N(y_t; h_i(x_t), nu_i)): what an M-step must not lower.
 * An atom outside the top K at x_t counts as q_ti = 0. */
/*@ requires mix_model(shape, theta, work);
    requires mix_sample(shape, n, x, y);
    requires \valid_read(q + (0 .. n*shape->k-1)) && \valid(Q);
    assigns work[0 .. mix_w(shape)-1], *Q;
    ensures mix_status(\result); */
smoe_status smoe_mix_complete_loglik(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x,
                                     const double *y, const double *q, double *work, double *Q);

/* (T.12) Doubles of workspace of the M-step: smoe_mix_work + k p + k (d+1)(d+3) */
/*@ requires \valid_read(shape);
    assigns \nothing;
    ensures \let all = mix_w(shape) + mix_all(shape) + shape->k*(shape->d + 1)*(shape->d + 3);
            smoe_size(mix_p(shape) + 1) && smoe_size((shape->d + 1)*(shape->d + 3)) && smoe_size(all) ==> \result == all; */
size_t smoe_mix_em_work(const smoe_mix_shape *shape);

/* (T.12) Conditional M-steps, linear experts, all atoms at once, q [n,k] held fixed:
 *   experts    (a,b)_i += 2^-s nu_i (sum_t q_ti x~ x~')^-1 sum_t dh_ti x~_t,  x~ = (x,1),  dh of (T.5) with q for its
 *              responsibilities, s the least in 0..30 at which Q does not fall (else no step); the softmax gate takes
 *              s = 0, which is weighted least squares
 *   variances  nu_i = max(sum_t q_ti (y_t - h_ti)^2 / sum_t q_ti, least)
 *   gate       beta0_i += ln sum_t q_ti - ln sum_t pi_ti;  softmax gate: (beta1,beta0)_i += 2 (sum_t x~ x~')^-1
 *              sum_t (q_ti - pi_ti) x~_t, without beta0 x alone
 *
 *   least  above 0: the least variance that the parameter set allows
 *   next   [k,p]  out
 *   work   [smoe_mix_em_work]
 *
 * Q(next) >= Q(theta) but for rounding.
 * Errors: also SMOE_EINVAL for experts that are not linear, and for topk; SMOE_EDOM if least is not above 0, an
 * atom has no weight left or the x that an atom has do not span R^d + 1 dimensions.
 */
/*@ requires mix_model(shape, theta, work);
    requires mix_sample(shape, n, x, y);
    requires \valid(work + (0 .. mix_w(shape)+mix_all(shape)+shape->k*(shape->d+1)*(shape->d+3)-1));
    requires \valid_read(q + (0 .. n*shape->k-1)) && \valid(next + (0 .. mix_all(shape)-1));
    assigns work[0 .. mix_w(shape)+mix_all(shape)+shape->k*(shape->d+1)*(shape->d+3)-1], next[0 .. mix_all(shape)-1];
    ensures mix_status(\result); */
smoe_status smoe_mix_m_step(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x,
                            const double *y, const double *q, double least, double *work, double *next);

/* (T.12) The direction of the experts' step alone, before any halving
 *
 *   direction [k,d+1]  out: for a and b of each atom
 *   work      [smoe_mix_em_work]
 *
 * Errors: as smoe_mix_m_step.
 */
/*@ requires mix_model(shape, theta, work);
    requires mix_sample(shape, n, x, y);
    requires \valid(work + (0 .. mix_w(shape)+mix_all(shape)+shape->k*(shape->d+1)*(shape->d+3)-1));
    requires \valid_read(q + (0 .. n*shape->k-1)) && \valid(direction + (0 .. shape->k*(shape->d+1)-1));
    assigns work[0 .. mix_w(shape)+mix_all(shape)+shape->k*(shape->d+1)*(shape->d+3)-1],
            direction[0 .. shape->k*(shape->d+1)-1];
    ensures mix_status(\result); */
smoe_status smoe_mix_em_direction(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x,
                                  const double *y, const double *q, double *work, double *direction);

/* (T.12) The variances' step alone:  nu_i = sum_t q_ti r_ti^2 / sum_t q_ti  about the lines of theta, with no lower limit
 *
 *   q  [n,k]
 *   nu [k]  out
 *
 * Errors: as smoe_mix_m_step; SMOE_EDOM if an atom's responsibilities are all 0.
 */
/*@ requires \valid_read(shape) && \valid_read(theta + (0 .. mix_all(shape)-1));
    requires mix_sample(shape, n, x, y);
    requires \valid_read(q + (0 .. n*shape->k-1)) && \valid(nu + (0 .. shape->k-1));
    assigns nu[0 .. shape->k-1];
    ensures mix_status(\result); */
smoe_status smoe_mix_em_variances(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x,
                                  const double *y, const double *q, double *nu);

/* (T.12) One step of (generalised) EM: responsibilities at theta, then the conditional M-steps.
 *
 *   q      [n,k]  out: the responsibilities at theta
 *   loglik out: (T.5) at theta, not at next
 *
 * Errors: as smoe_mix_m_step.  That an atom has no weight left or its x do not span is found after q and loglik are
 * written: they tell which; next is not written.
 */
/*@ requires mix_model(shape, theta, work);
    requires mix_sample(shape, n, x, y);
    requires \valid(work + (0 .. mix_w(shape)+mix_all(shape)+shape->k*(shape->d+1)*(shape->d+3)-1));
    requires \valid(q + (0 .. n*shape->k-1)) && \valid(next + (0 .. mix_all(shape)-1)) && \valid(loglik);
    assigns work[0 .. mix_w(shape)+mix_all(shape)+shape->k*(shape->d+1)*(shape->d+3)-1], q[0 .. n*shape->k-1],
            next[0 .. mix_all(shape)-1], *loglik;
    ensures mix_status(\result); */
smoe_status smoe_mix_em_step(const smoe_mix_shape *shape, size_t n, const double *theta, const double *x,
                             const double *y, double least, double *work, double *q, double *next, double *loglik);

/* (T.13) The oracle: least squares with the labels known, linear experts.  For each atom over its own samples
 *   a = (sum (x - mx)(x - mx)')^-1 sum (x - mx)(y - my),  b = my - <a,mx>,  nu = sum (y - <a,x> - b)^2 / count
 *
 *   label [n]     each below k
 *   work  [(d+1)(d+3)]
 *   eta   [k,d+2] out: a, b, nu of each atom
 *
 * Errors: SMOE_EINVAL if n, k or d is 0; SMOE_EDOM if a label is not below k, an atom has fewer than d + 2 samples, its
 * x do not span d dimensions, or its residuals are all 0.
 */
/*@ requires \valid_read(x + (0 .. n*d-1)) && \valid_read(y + (0 .. n-1)) && \valid_read(label + (0 .. n-1));
    requires \valid(work + (0 .. (d+1)*(d+3)-1)) && \valid(eta + (0 .. k*(d+2)-1));
    assigns work[0 .. (d+1)*(d+3)-1], eta[0 .. k*(d+2)-1];
    ensures n == 0 || k == 0 || d == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_oracle(size_t n, size_t k, size_t d, const double *x, const double *y, const size_t *label,
                        double *work, double *eta);

/* --- identifiability ---------------------------------------------------------------------------------------------- */

/* (T.14) Derivatives of single units h(x; w, c) = phi(w'x + c) by (w, c), orders 0 to 2, at n points, as columns: for
 * each atom  phi, phi' (x,1), phi'' (x,1)(x,1)'  (upper triangle, row by row); phi(z) = z for SMOE_MIX_LINEAR
 *
 *   w [k,d]  c [k]  x [n,d]
 *   M [n, k r]  out, r = smoe_identifiability_columns(d) = 1 + (d+1) + (d+1)(d+2)/2
 *
 * Errors: SMOE_EINVAL if k or d is 0; SMOE_EDOM; SMOE_EOVRFLW.
 */
/*@ assigns \nothing;
    ensures smoe_size((d+1)*(d+2)) && smoe_size(d+2+(d+1)*(d+2)/2) ==> \result == 1 + (d+1) + (d+1)*(d+2)/2; */
size_t smoe_identifiability_columns(size_t d);
/*@ requires \valid_read(w + (0 .. k*d-1)) && \valid_read(c + (0 .. k-1)) && \valid_read(x + (0 .. n*d-1));
    requires \valid(M + (0 .. n*k*(1+(d+1)+(d+1)*(d+2)/2)-1));
    assigns M[0 .. n*k*(1+(d+1)+(d+1)*(d+2)/2)-1];
    ensures k == 0 || d == 0 ==> \result == SMOE_EINVAL; */
smoe_status smoe_identifiability_matrix(smoe_mix_expert expert, size_t k, size_t d, size_t n, const double *w,
                                        const double *c, const double *x, double *M);

/* (T.14) Singular values by one-sided Jacobi rotations, after the columns are scaled to norm 1 (one of zeros stays)
 *
 *   M     [n,m]  in: the matrix; out: unspecified
 *   s     [m]    out: descending
 *   error out: every exact singular value of the scaled matrix is within it of s, if every element of M is right
 *                within 16 units in the last place (the numerical rank is then at least #{ s_i > error })
 *
 * Errors: SMOE_EINVAL if n or m is 0 or n < m; SMOE_EDOM; SMOE_EOVRFLW if 60 sweeps do not suffice.
 */
/*@ requires \valid(M + (0 .. n*m-1)) && \valid(s + (0 .. m-1)) && \valid(error);
    assigns M[0 .. n*m-1], s[0 .. m-1], *error;
    ensures n == 0 || m == 0 || n < m ==> \result == SMOE_EINVAL; */
smoe_status smoe_singular_values(size_t n, size_t m, double *M, double *s, double *error);

#endif
