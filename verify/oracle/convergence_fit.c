/* Estimators (see convergence_fit.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_blas.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_linalg.h>
#include <gsl/gsl_multimin.h>

#include "convergence_fit.h"
#include "op.h"

const char *const fit_status_name[FIT_STATUSES] = {"converged", "stalled", "iterations", "collapsed", "undefined"};

enum {
    INFORMATION = 1000, /* samples that the information is estimated from */
    ROUNDS = 40, /* times that the coordinates are made round anew */
    ROUND = 6, /* iterations of BFGS in one round */
    QUIET = 3 /* iterations without visible gain that end a fit */
};
static const double ridge = 1e-3; /* part of its diagonal added to the information */
static const double visible = 1e-4; /* a gain of n L below this is none: the test statistic 2 n L has scale 1 */
static const double kink = 0.05; /* where |h| has its corner no score need be small; within this it is as good */

fit_options fit_defaults(void) { return (fit_options){.iterations = 200, .tolerance = 5e-3, .floor = 1e-3}; }

/* --- the problem in round coordinates ----------------------------------------------------------------------------- */

/* u are the free entries of theta, ln nu for nu;  u = origin + R^-T z,  R R' = information. */
typedef struct {
    const smoe_mix_shape *shape;
    size_t n, parameters, m;
    const double *x, *y;
    size_t *place; /* [m] of each u in theta */
    bool *logarithm; /* [m] */
    double *theta, *score, *work;
    gsl_matrix *root; /* R */
    gsl_vector *origin, *u; /* [m] */
    gsl_vector *z, *gradient; /* where the likelihood was evaluated last, and its gradient there */
    double value, least_variance; /* minus the likelihood */
    bool known, undefined;
    size_t evaluations;
} problem;

static void locate(problem *p)
{
    const smoe_mix_shape *s = p->shape;
    const size_t stride = smoe_mix_stride(s), variance = smoe_mix_variance_at(s);
    p->m = 0;
    for (size_t i = 0; i < s->k; i++)
        for (size_t j = 0; j < stride; j++) {
            if (i + 1 == s->k && j > variance) continue; /* a translation of the gate is the same model */
            p->logarithm[p->m] = j == variance;
            p->place[p->m++] = i * stride + j;
        }
}

static void read_theta(problem *p)
{
    for (size_t j = 0; j < p->m; j++) {
        const double t = p->theta[p->place[j]];
        gsl_vector_set(p->origin, j, p->logarithm[j] ? smoe_log(t) : t);
    }
    gsl_vector_set_zero(p->z);
    p->known = false;
}

static void write_theta(problem *p, const gsl_vector *z)
{
    gsl_vector_memcpy(p->u, z);
    gsl_blas_dtrsv(CblasLower, CblasTrans, CblasNonUnit, p->root, p->u);
    gsl_vector_add(p->u, p->origin);
    for (size_t j = 0; j < p->m; j++) {
        const double u = gsl_vector_get(p->u, j);
        p->theta[p->place[j]] = p->logarithm[j] ? smoe_exp(u) : u;
    }
}

/* d/du of something with gradient [k,p] in theta */
static void chain(const problem *p, const double *dtheta, double *du)
{
    for (size_t j = 0; j < p->m; j++) {
        const size_t at = p->place[j];
        du[j] = p->logarithm[j] ? dtheta[at] * p->theta[at] : dtheta[at];
    }
}

/* R of the mean of the scores' squares over the first samples, with a ridge.  False if it is not positive definite. */
static bool make_round(problem *p)
{
    const size_t count = p->n < INFORMATION ? p->n : INFORMATION, d = p->shape->d;
    double *du = op_room(p->m, sizeof *du);
    gsl_vector_view s = gsl_vector_view_array(du, p->m);
    smoe_status status = SMOE_OK;
    gsl_matrix_set_zero(p->root);
    for (size_t t = 0; t < count && status == SMOE_OK; t++) {
        status = smoe_mix_log_density_vjp(p->shape, p->theta, p->x + t * d, p->y[t], 1, p->work, p->score, NULL, NULL);
        if (status != SMOE_OK) break;
        chain(p, p->score, du);
        gsl_blas_dsyr(CblasLower, 1 / (double)count, &s.vector, p->root);
    }
    free(du);
    for (size_t j = 0; j < p->m; j++) gsl_matrix_set(p->root, j, j, gsl_matrix_get(p->root, j, j) * (1 + ridge));
    read_theta(p);
    return status == SMOE_OK && gsl_linalg_cholesky_decomp1(p->root) == GSL_SUCCESS;
}

/* Value and gradient at z, unless they are known.  Undefined is a high plateau: BFGS turns away from it. */
static void evaluate(problem *p, const gsl_vector *z)
{
    double loglik;
    if (p->known && gsl_vector_equal(z, p->z)) return;
    gsl_vector_memcpy(p->z, z);
    write_theta(p, z);
    p->known = true;
    p->evaluations++;
    const smoe_status status = smoe_mix_loglik_score(p->shape, p->n, p->theta, p->x, p->y, p->work, &loglik, p->score);
    p->undefined = status != SMOE_OK;
    if (p->undefined) {
        p->value = 1e6;
        gsl_vector_set_zero(p->gradient);
        return;
    }
    p->value = -loglik;
    chain(p, p->score, p->gradient->data);
    gsl_vector_scale(p->gradient, -1);
    gsl_blas_dtrsv(CblasLower, CblasNoTrans, CblasNonUnit, p->root, p->gradient);
}

static double value_at(const gsl_vector *z, void *context)
{
    problem *p = context;
    evaluate(p, z);
    return p->value;
}

static void gradient_at(const gsl_vector *z, void *context, gsl_vector *g)
{
    problem *p = context;
    evaluate(p, z);
    gsl_vector_memcpy(g, p->gradient);
}

static void both_at(const gsl_vector *z, void *context, double *f, gsl_vector *g)
{
    *f = value_at(z, context);
    gradient_at(z, context, g);
}

/* --- maximum likelihood ------------------------------------------------------------------------------------------- */

static bool collapsed(const problem *p, const fit_options *o)
{
    const size_t stride = smoe_mix_stride(p->shape), variance = smoe_mix_variance_at(p->shape);
    for (size_t i = 0; i < p->shape->k; i++)
        if (!(p->theta[i * stride + variance] >= o->floor * p->least_variance)) return true;
    return false;
}

/* What the iterations of one start have come to. */
typedef struct {
    size_t iterations, quiet;
    double best;
    bool settled; /* the score is small, or nothing is gained any more */
} course;

/* BFGS until it settles, stops or has used up its round.  The result is false if it stopped. */
static bool one_round(problem *p, gsl_multimin_fdfminimizer *b, const fit_options *o, course *c)
{
    const double root_n = sqrt((double)p->n);
    gsl_multimin_function_fdf f = {value_at, gradient_at, both_at, p->m, p};
    gsl_vector *zero = gsl_vector_calloc(p->m);
    evaluate(p, zero);
    const double first = gsl_blas_dnrm2(p->gradient);
    if (!p->undefined) c->best = fmin(c->best, p->value);
    c->settled = !p->undefined && root_n * first <= o->tolerance;
    bool moving = !p->undefined && !c->settled &&
                  gsl_multimin_fdfminimizer_set(b, &f, zero, first, 0.5) == GSL_SUCCESS; /* a full step of length |g| */
    for (size_t i = 0; i < ROUND && moving && !c->settled && c->iterations < o->iterations; i++) {
        moving = gsl_multimin_fdfminimizer_iterate(b) == GSL_SUCCESS;
        c->iterations++;
        const double gain = (double)p->n * (c->best - b->f);
        c->quiet = gain < visible ? c->quiet + 1 : 0;
        c->best = fmin(c->best, b->f);
        c->settled = root_n * gsl_blas_dnrm2(b->gradient) <= o->tolerance || c->quiet >= QUIET;
        write_theta(p, b->x);
        if (collapsed(p, o)) moving = false;
    }
    gsl_vector_free(zero);
    return moving;
}

/* p->theta: the start, then the fit; its likelihood in *loglik. */
static fit_status climb(problem *p, gsl_multimin_fdfminimizer *b, const fit_options *o, double *loglik)
{
    course c = {0, 0, INFINITY, false};
    double before = INFINITY;
    for (int round = 0; round < ROUNDS; round++) {
        if (!make_round(p)) return FIT_UNDEFINED;
        const bool moving = one_round(p, b, o, &c);
        *loglik = -c.best;
        if (c.settled) return FIT_CONVERGED;
        if (p->undefined && !isfinite(c.best)) return FIT_UNDEFINED;
        if (collapsed(p, o)) return FIT_COLLAPSED;
        if (c.iterations >= o->iterations) return FIT_LIMIT;
        if (!moving && sqrt((double)p->n) * gsl_blas_dnrm2(b->gradient) <= kink) return FIT_CONVERGED;
        if (!moving && (double)p->n * (before - c.best) < visible) return FIT_STALLED;
        before = c.best;
    }
    return FIT_STALLED;
}

static problem problem_new(const smoe_mix_shape *shape, size_t n, const double *x, const double *y)
{
    problem p = {.shape = shape, .n = n, .x = x, .y = y, .parameters = smoe_mix_parameters(shape)};
    p.place = op_room(p.parameters, sizeof *p.place);
    p.logarithm = op_room(p.parameters, sizeof *p.logarithm);
    p.theta = op_room(p.parameters, sizeof *p.theta);
    p.score = op_room(p.parameters, sizeof *p.score);
    p.work = op_room(smoe_mix_work(shape), sizeof *p.work);
    locate(&p);
    p.root = gsl_matrix_calloc(p.m, p.m);
    p.origin = gsl_vector_calloc(p.m);
    p.u = gsl_vector_calloc(p.m);
    p.z = gsl_vector_calloc(p.m);
    p.gradient = gsl_vector_calloc(p.m);
    return p;
}

static void problem_free(problem *p)
{
    gsl_matrix_free(p->root);
    gsl_vector_free(p->origin);
    gsl_vector_free(p->u);
    gsl_vector_free(p->z);
    gsl_vector_free(p->gradient);
    free(p->place);
    free(p->logarithm);
    free(p->theta);
    free(p->score);
    free(p->work);
}

static double least_variance(const smoe_mix_shape *shape, const double *theta)
{
    double least = INFINITY;
    for (size_t i = 0; i < shape->k; i++)
        least = fmin(least, theta[i * smoe_mix_stride(shape) + smoe_mix_variance_at(shape)]);
    return least;
}

/* Takes the fit of one start into the result. */
static void take(fit_result *r, fit_status status, double loglik, const double *fitted, size_t parameters,
                 double *theta)
{
    r->failed += status != FIT_CONVERGED;
    if (status != FIT_CONVERGED) {
        if (r->status != FIT_CONVERGED) r->status = status;
    } else if (r->status != FIT_CONVERGED || loglik > r->loglik) {
        r->status = FIT_CONVERGED;
        r->loglik = loglik;
        memcpy(theta, fitted, parameters * sizeof *theta);
    }
}

/* Fewer samples than parameters, or a coordinate of x that is the same everywhere, determine no fit. */
static bool determined(const smoe_mix_shape *shape, size_t n, const double *x)
{
    if (smoe_mix_check(shape) != SMOE_OK || n <= smoe_mix_parameters(shape)) return false;
    for (size_t j = 0; j < shape->d; j++) {
        size_t t = 1;
        while (t < n && !(x[t * shape->d + j] < x[j]) && !(x[t * shape->d + j] > x[j])) t++;
        if (t == n) return false;
    }
    return true;
}

fit_result fit_likelihood(const smoe_mix_shape *shape, size_t n, const double *x, const double *y, size_t starts,
                          const double *start, const fit_options *options, double *theta)
{
    fit_result r = {.status = FIT_UNDEFINED, .loglik = -INFINITY};
    if (!determined(shape, n, x)) return r;
    gsl_error_handler_t *handler = gsl_set_error_handler_off();
    problem p = problem_new(shape, n, x, y);
    gsl_multimin_fdfminimizer *b = gsl_multimin_fdfminimizer_alloc(gsl_multimin_fdfminimizer_vector_bfgs2, p.m);
    for (size_t s = 0; s < starts; s++) {
        memcpy(p.theta, start + s * p.parameters, p.parameters * sizeof *p.theta);
        p.least_variance = least_variance(shape, p.theta);
        double loglik = -INFINITY;
        const fit_status status = climb(&p, b, options, &loglik);
        take(&r, status, loglik, p.theta, p.parameters, theta);
    }
    r.evaluations = p.evaluations;
    gsl_multimin_fdfminimizer_free(b);
    problem_free(&p);
    gsl_set_error_handler(handler);
    return r;
}

/* --- EM ----------------------------------------------------------------------------------------------------------- */

typedef struct {
    double *work, *q, *next;
} em_room;

/* Steps until the likelihood gains nothing that could be seen. */
static fit_status em_climb(const smoe_mix_shape *shape, size_t n, const double *x, const double *y,
                           const fit_options *o, em_room *room, double *theta, double *loglik, size_t *steps)
{
    const size_t bytes = smoe_mix_parameters(shape) * sizeof *theta, limit = 10 * o->iterations;
    const double floor = o->floor * least_variance(shape, theta);
    double before = -INFINITY;
    for (size_t i = 0; i < limit; i++) {
        ++*steps;
        if (smoe_mix_em_step(shape, n, theta, x, y, floor, room->work, room->q, room->next, loglik) != SMOE_OK)
            return FIT_UNDEFINED;
        if ((double)n * (*loglik - before) < visible) return FIT_CONVERGED;
        if (!(least_variance(shape, room->next) > floor)) return FIT_COLLAPSED;
        before = *loglik;
        memcpy(theta, room->next, bytes);
    }
    return FIT_LIMIT;
}

fit_result fit_em(const smoe_mix_shape *shape, size_t n, const double *x, const double *y, size_t starts,
                  const double *start, const fit_options *options, double *theta)
{
    fit_result r = {.status = FIT_UNDEFINED, .loglik = -INFINITY};
    if (!determined(shape, n, x)) return r;
    const size_t parameters = smoe_mix_parameters(shape);
    double *fitted = op_room(parameters, sizeof *fitted);
    em_room room = {.work = op_room(smoe_mix_em_work(shape), sizeof(double)),
                    .q = op_room(n * shape->k, sizeof(double)),
                    .next = op_room(parameters, sizeof(double))};
    for (size_t s = 0; s < starts; s++) {
        double loglik = -INFINITY;
        memcpy(fitted, start + s * parameters, parameters * sizeof *fitted);
        const fit_status status = em_climb(shape, n, x, y, options, &room, fitted, &loglik, &r.evaluations);
        take(&r, status, loglik, fitted, parameters, theta);
    }
    free(fitted);
    free(room.work);
    free(room.q);
    free(room.next);
    return r;
}

/* --- the oracle --------------------------------------------------------------------------------------------------- */

fit_result fit_oracle(const smoe_mix_shape *shape, size_t n, const double *x, const double *y, const size_t *label,
                      const double *start, double *theta)
{
    fit_result r = {.status = FIT_UNDEFINED, .loglik = -INFINITY, .evaluations = 1, .failed = 1};
    if (smoe_mix_check(shape) != SMOE_OK || shape->expert != SMOE_MIX_LINEAR) return r;
    const size_t d = shape->d, k = shape->k, stride = smoe_mix_stride(shape), parameters = smoe_mix_parameters(shape);
    double *eta = op_room(k * (d + 2), sizeof *eta), *solve = op_room((d + 1) * (d + 3), sizeof *solve),
           *work = op_room(smoe_mix_work(shape), sizeof *work), *fitted = op_room(parameters, sizeof *fitted);
    if (smoe_oracle(n, k, d, x, y, label, solve, eta) == SMOE_OK) {
        memcpy(fitted, start, parameters * sizeof *fitted);
        for (size_t i = 0; i < k; i++) memcpy(fitted + i * stride, eta + i * (d + 2), (d + 2) * sizeof *eta);
        if (smoe_mix_loglik(shape, n, fitted, x, y, work, &r.loglik) == SMOE_OK) {
            r.status = FIT_CONVERGED;
            r.failed = 0;
            memcpy(theta, fitted, parameters * sizeof *theta);
        }
    }
    free(eta);
    free(solve);
    free(work);
    free(fitted);
    return r;
}
