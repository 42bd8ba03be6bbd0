/* The parts of `smoeref rates`: what is run (rates_plan.c), one fit (rates_fit.c), the file of results (rates_store.c),
 * slopes and tables (rates_report.c), the plot (rates_plot.c), many machines at once (rates_mpi.c).
 *
 * An experiment is series x sample sizes x repeats.  Each fit draws its own data from its own stream, named by the
 * gate, n and the repeat, so that it is the same number whichever process computes it, and when.
 */
#ifndef SMOEREF_ORACLE_RATES_H
#define SMOEREF_ORACLE_RATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "convergence_fit.h"

enum { RATES_SERIES = 16, RATES_SIZES = 64, RATES_ATOMS = 3, RATES_PARAMETERS = 5 * RATES_ATOMS, RATES_TEXT = 400 };

typedef enum { RATES_MLE, RATES_EM, RATES_ORACLE, RATES_ESTIMATORS } rates_estimator;
extern const char *const rates_estimator_name[RATES_ESTIMATORS];

/* One line of the table. */
typedef struct {
    char name[48]; /* "norm, free weights, em" */
    const char *gate; /* "norm" */
    smoe_mix_shape truth; /* two atoms */
    smoe_mix_shape fitted; /* two, or three */
    rates_estimator estimator;
} rates_series;

typedef struct {
    const char *preset;
    const char *free_weights; /* "default", "yes", "no" */
    bool estimator[RATES_ESTIMATORS];
    rates_series series[RATES_SERIES];
    size_t series_count;
    size_t n[RATES_SIZES], sizes, repeats, starts;
    uint64_t seed;
} rates_plan;

/* What one fit came to; numbers where status is FIT_CONVERGED. */
typedef struct {
    bool done;
    fit_status status;
    size_t evaluations, failed_starts;
    double loglik, variation, hellinger, voronoi; /* averages over x of V; the root of the average of h^2; D */
    double variation_error; /* of the quadrature */
    double theta[RATES_PARAMETERS];
} rates_fit;

/* --- the plan (rates_plan.c) --- */
extern const char *const rates_presets[]; /* terminated by NULL */
/* The plan without its sizes: repeats 24, seed 1, starts 0 (what the preset needs).  False: no such preset. */
bool rates_plan_start(rates_plan *plan, const char *preset);
/* "316,1000,3162", or "FROM:TO:COUNT" spaced evenly in log n.  A sentence says what is wrong, NULL: nothing. */
const char *rates_plan_sizes(rates_plan *plan, const char *text);
/* "mle,em,oracle". */
const char *rates_plan_estimators(rates_plan *plan, const char *text);
/* Fills in the series, and what was not set.  A sentence, or NULL; it may live in text. */
const char *rates_plan_finish(rates_plan *plan, char text[RATES_TEXT]);
/* The plan as an object, and back from it (NULL, or a sentence). */
json_t *rates_plan_json(const rates_plan *plan);
const char *rates_plan_from_json(rates_plan *plan, const json_t *object, char text[RATES_TEXT]);

size_t rates_fits(const rates_plan *plan);
/* Which fit is number i, in the order of the table: series, then n, then repeat. */
typedef struct {
    size_t series, size, repeat;
} rates_place;
rates_place rates_place_of(const rates_plan *plan, size_t i);
/* The true parameters [k,p] of a series. */
void rates_truth(const rates_series *s, double *theta);
double rates_fit_cost(const rates_plan *plan, size_t i); /* in evaluations times samples, roughly */

/* --- one fit (rates_fit.c) --- */
/* What fit i is given: samples with their labels, and starts [plan->starts,k,p]. */
typedef struct {
    size_t n;
    double *x, *y, *start;
    size_t *label;
} rates_data;
rates_data rates_draw(const rates_plan *plan, size_t i);
void rates_data_free(rates_data *d);
void rates_run(const rates_plan *plan, size_t i, rates_fit *result);

/* --- the file of results (rates_store.c) --- */
/* JSON Lines: a line for the plan, then one for each fit, each ending in the CRC-32 of what comes before.  Lines are
 * appended whole, in any order, as fits end; a torn one is passed over when the file is read, and the fit is run again.
 * A finished file is sorted. */
typedef struct {
    const char *path;
    int file; /* open for appending and locked, or -1 */
} rates_store;
/* Creates the file, or takes up the one that is there: results [rates_fits] that it has are filled in.  0, or -1 with a
 * line in err. */
int rates_store_open(rates_store *s, const char *path, const rates_plan *plan, rates_fit *results, char *err,
                     size_t errlen);
int rates_store_append(const rates_store *s, const rates_plan *plan, size_t i, const rates_fit *fit, char *err,
                       size_t errlen);
/* Rewrites the file, sorted, unless it is so already. */
int rates_store_finish(const rates_store *s, const rates_plan *plan, const rates_fit *results, char *err,
                       size_t errlen);
void rates_store_close(rates_store *s);
/* Adds the results of a file to a plan read from the first one: *results is NULL before the first. */
int rates_store_merge(const char *path, rates_plan *plan, rates_fit **results, char *err, size_t errlen);

/* --- many processes by MPI (rates_mpi.c) --- */
/* Every process of the job calls these.  What is wrong, or NULL; is this process 0? */
const char *rates_mpi_start(bool *first);
int rates_mpi_agree(int status); /* the status of process 0, everywhere */
/* Runs the fits pending [count] of process 0, which gets the results and appends them to the store. */
void rates_mpi_run(const rates_plan *plan, const rates_store *store, const size_t *pending, size_t count,
                   rates_fit *results);
void rates_mpi_end(void);

/* --- slopes (rates_report.c) --- */
typedef enum { RATES_VARIATION, RATES_HELLINGER, RATES_VORONOI, RATES_MEASURES } rates_measure;
extern const char *const rates_measure_name[RATES_MEASURES];

/* A mean over repeats; count 0 or 1: no mean, or no error. */
typedef struct {
    size_t count, failed;
    double mean, error; /* of the mean */
    double median;
} rates_point;

typedef struct {
    bool known;
    double slope, error, intercept; /* ln mean = intercept + slope ln n */
    double chi_square; /* squares of the means' distances from the line, in their errors: sizes - 2, if it is straight */
    double of_medians; /* the slope of ln median, unweighted: what rare large losses do not move */
} rates_slope;

rates_point rates_point_of(const rates_plan *plan, const rates_fit *results, size_t series, size_t size,
                           rates_measure measure);
rates_slope rates_slope_of(const rates_plan *plan, const rates_fit *results, size_t series, rates_measure measure);
void rates_print_table(const rates_plan *plan, const rates_fit *results);
void rates_print_csv(const rates_plan *plan, const rates_fit *results);
int rates_print_json(const rates_plan *plan, const rates_fit *results);

/* --- the plot (rates_plot.c) --- */
/* FILE.svg or FILE.png; a sentence says what is wrong, or NULL. */
const char *rates_plot_check(const char *path);
/* 0, or -1 with a line in err. */
int rates_plot(const char *path, const rates_plan *plan, const rates_fit *results, char *err, size_t errlen);

#endif
