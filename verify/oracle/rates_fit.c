/* One fit of `smoeref rates`: data, starts, estimator, distances, loss (see rates.h). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convergence.h"
#include "op.h"
#include "rates.h"

enum { POINTS = 32 }; /* the midpoints of as many parts of [-1,1], over which distances are averaged */

/* x uniform in [-1,1], then u and z of (T.7), one sample after the other, all from one stream. */
static rates_data draw(const rates_plan *plan, const rates_series *s, size_t n, size_t repeat)
{
    rates_data d = {.n = n, .x = op_room(n, sizeof(double)), .y = op_room(n, sizeof(double))};
    double *u = op_room(n, sizeof *u), *z = op_room(n, sizeof *z), truth[RATES_PARAMETERS];
    double *work = op_room(smoe_mix_work(&s->truth), sizeof *work);
    char stream[120];
    d.label = op_room(n, sizeof *d.label);
    snprintf(stream, sizeof stream, "rates/%s/%zu/%zu", s->gate, n, repeat);
    op_rng *r = op_rng_new(plan->seed, stream);
    for (size_t t = 0; t < n; t++) {
        d.x[t] = 2 * op_uniform(r) - 1;
        u[t] = op_uniform(r);
        z[t] = op_normal(r);
    }
    op_rng_free(r);
    rates_truth(s, truth);
    smoe_mix_sample(&s->truth, n, truth, d.x, u, z, work, d.label, NULL, d.y);
    free(u);
    free(z);
    free(work);
    return d;
}

/* --- starts ------------------------------------------------------------------------------------------------------- */

/* Moves every parameter by scale times a standard normal; a variance by a factor. */
static void shake(op_rng *r, const smoe_mix_shape *shape, double scale, double *theta)
{
    const size_t stride = smoe_mix_stride(shape);
    for (size_t j = 0; j < shape->k * stride; j++) {
        const double step = scale * op_normal(r);
        theta[j] = j % stride == smoe_mix_variance_at(shape) ? theta[j] * smoe_exp(step) : theta[j] + step;
    }
}

/* The truth, one of its atoms twice with half the weight each where weights are free. */
static void split_truth(const rates_series *s, const double *truth, size_t twice, double *theta)
{
    const size_t stride = smoe_mix_stride(&s->truth), bytes = stride * sizeof *theta;
    memcpy(theta, truth, 2 * bytes);
    if (s->fitted.k == 2) return;
    memcpy(theta + 2 * stride, truth + twice * stride, bytes);
    if (!s->fitted.free_weights) return;
    theta[twice * stride + smoe_mix_beta0_at(&s->truth)] -= M_LN2;
    theta[2 * stride + smoe_mix_beta0_at(&s->truth)] -= M_LN2;
}

/* Near the truth.  As many atoms as it has: within 0.005 n^-0.083.  One more: by turns each true atom is split, and the
 * parts are moved by about n^-1/4, the distance at which merged atoms are found. */
static double *starts(const rates_plan *plan, const rates_series *s, size_t n, size_t repeat, const double *truth)
{
    const size_t parameters = smoe_mix_parameters(&s->fitted);
    double *theta = op_room(plan->starts * parameters, sizeof *theta);
    const double scale = s->fitted.k == 2 ? 0.005 * smoe_exp(-0.083 * smoe_log((double)n)) : 1 / sqrt(sqrt((double)n));
    char stream[120];
    snprintf(stream, sizeof stream, "rates/%s/%zu/%zu/starts/%zu", s->gate, n, repeat, s->fitted.k);
    op_rng *r = op_rng_new(plan->seed, stream);
    for (size_t i = 0; i < plan->starts; i++) {
        split_truth(s, truth, i % 2, theta + i * parameters);
        shake(r, &s->fitted, scale, theta + i * parameters);
    }
    op_rng_free(r);
    return theta;
}

rates_data rates_draw(const rates_plan *plan, size_t i)
{
    const rates_place at = rates_place_of(plan, i);
    const rates_series *s = &plan->series[at.series];
    double truth[RATES_PARAMETERS] = {0};
    rates_data d = draw(plan, s, plan->n[at.size], at.repeat);
    rates_truth(s, truth);
    d.start = starts(plan, s, d.n, at.repeat, truth);
    return d;
}

void rates_data_free(rates_data *d)
{
    free(d->x);
    free(d->y);
    free(d->start);
    free(d->label);
}

/* --- how far from the truth --------------------------------------------------------------------------------------- */

/* (T.10) for as many atoms as the truth has, (T.11) for more: (2, r, r/2) on (a, b, nu) under a competition, (r, r/2, r,
 * r/2) on (beta1, a, b, nu) under a softmax gate, which entangles beta1 with b. */
static smoe_status voronoi(const rates_series *s, const double *theta, const double *truth, double *loss)
{
    enum { entries = 4 * RATES_ATOMS };
    static const size_t width[] = {1, 1, 1, 1};
    static const double power[] = {2, 0, 0}, times[] = {0, 1, 0.5};
    static const double softmax_power[] = {0, 0, 0, 0}, softmax_times[] = {1, 0.5, 1, 0.5};
    double a[RATES_PARAMETERS], b[RATES_PARAMETERS], atoms[entries], true_atoms[entries], beta0[RATES_ATOMS],
        true_beta0[RATES_ATOMS], work[4];
    size_t cell[RATES_ATOMS];
    const size_t stride = smoe_mix_stride(&s->fitted), m = s->fitted.free_weights ? stride - 1 : stride;
    memcpy(a, theta, s->fitted.k * stride * sizeof *a);
    memcpy(b, truth, s->truth.k * stride * sizeof *b);
    smoe_status status = smoe_mix_normal_form(&s->fitted, a);
    if (status == SMOE_OK) status = smoe_mix_normal_form(&s->truth, b);
    if (status == SMOE_OK) status = smoe_mix_atoms(&s->fitted, a, atoms, beta0);
    if (status == SMOE_OK) status = smoe_mix_atoms(&s->truth, b, true_atoms, true_beta0);
    if (status == SMOE_OK) status = smoe_voronoi_cells(s->fitted.k, 2, m, atoms, true_atoms, work, cell, NULL);
    if (status != SMOE_OK) return status;
    if (s->fitted.k == 2) return smoe_voronoi_exact(2, 2, m, atoms, true_atoms, beta0, true_beta0, cell, work, loss);
    const bool softmax = s->fitted.gate == SMOE_MIX_SOFTMAX;
    return smoe_voronoi_over(s->fitted.k, 2, m, atoms, true_atoms, beta0, true_beta0, cell, softmax ? 4 : 3, width,
                             softmax ? softmax_power : power, softmax ? softmax_times : times, work, loss);
}

static smoe_status measure(const rates_series *s, const double *theta, const double *truth, rates_fit *result)
{
    double x[POINTS], V[POINTS], square[POINTS], claim[2 * POINTS], claims = 0;
    for (size_t i = 0; i < POINTS; i++) x[i] = (2 * (double)i + 1) / POINTS - 1;
    double *work = op_room(smoe_mix_distance_work(&s->fitted, &s->truth), sizeof *work);
    const smoe_status status = smoe_mix_distance(&s->fitted, theta, &s->truth, truth, POINTS, x, work, V, square, claim,
                                                 &result->variation, &result->hellinger);
    free(work);
    if (status != SMOE_OK) return status;
    for (size_t i = 0; i < POINTS; i++) claims += claim[2 * i];
    result->variation_error = claims / POINTS;
    return voronoi(s, theta, truth, &result->voronoi);
}

void rates_run(const rates_plan *plan, size_t i, rates_fit *result)
{
    const rates_series *s = &plan->series[rates_place_of(plan, i).series];
    const fit_options options = fit_defaults();
    double truth[RATES_PARAMETERS] = {0}, theta[RATES_PARAMETERS] = {0};
    rates_data d = rates_draw(plan, i);
    rates_truth(s, truth);
    fit_result f = {.status = FIT_UNDEFINED};
    if (s->estimator == RATES_MLE)
        f = fit_likelihood(&s->fitted, d.n, d.x, d.y, plan->starts, d.start, &options, theta);
    if (s->estimator == RATES_EM) f = fit_em(&s->fitted, d.n, d.x, d.y, plan->starts, d.start, &options, theta);
    if (s->estimator == RATES_ORACLE) f = fit_oracle(&s->fitted, d.n, d.x, d.y, d.label, truth, theta);
    *result = (rates_fit){.done = true, .status = f.status, .evaluations = f.evaluations, .failed_starts = f.failed};
    if (f.status == FIT_CONVERGED) {
        result->loglik = f.loglik;
        memcpy(result->theta, theta, sizeof theta);
        if (measure(s, theta, truth, result) != SMOE_OK) result->status = FIT_UNDEFINED;
    }
    rates_data_free(&d);
}
