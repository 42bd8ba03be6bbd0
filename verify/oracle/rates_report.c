/* Means, slopes and tables of `smoeref rates` (see rates.h). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <gsl/gsl_fit.h>

#include "cmd.h"
#include "op.h"
#include "rates.h"

const char *const rates_measure_name[RATES_MEASURES] = {"total_variation", "hellinger", "voronoi"};

static double value_of(const rates_fit *f, rates_measure measure)
{
    return measure == RATES_VARIATION ? f->variation : measure == RATES_HELLINGER ? f->hellinger : f->voronoi;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of the converged fits among f [repeats]; there is one. */
static double median_of(size_t repeats, const rates_fit *f, rates_measure measure)
{
    double *value = op_room(repeats, sizeof *value);
    size_t count = 0;
    for (size_t r = 0; r < repeats; r++)
        if (f[r].done && f[r].status == FIT_CONVERGED) value[count++] = value_of(&f[r], measure);
    qsort(value, count, sizeof *value, ascending);
    const double median = (value[(count - 1) / 2] + value[count / 2]) / 2;
    free(value);
    return median;
}

rates_point rates_point_of(const rates_plan *plan, const rates_fit *results, size_t series, size_t size,
                           rates_measure measure)
{
    rates_point p = {0, 0, 0, 0, 0};
    const rates_fit *f = results + (series * plan->sizes + size) * plan->repeats;
    double sum = 0, squares = 0;
    for (size_t r = 0; r < plan->repeats; r++) {
        if (!f[r].done) continue;
        if (f[r].status != FIT_CONVERGED) {
            p.failed++;
            continue;
        }
        p.count++;
        sum += value_of(&f[r], measure);
    }
    if (p.count == 0) return p;
    p.mean = sum / (double)p.count;
    p.median = median_of(plan->repeats, f, measure);
    for (size_t r = 0; r < plan->repeats; r++) {
        const double off = value_of(&f[r], measure) - p.mean;
        if (f[r].done && f[r].status == FIT_CONVERGED) squares += off * off;
    }
    if (p.count > 1) p.error = sqrt(squares / (double)(p.count - 1) / (double)p.count);
    return p;
}

/* Weighted least squares of ln mean on ln n; the variance of ln mean is that of the mean over its square. */
rates_slope rates_slope_of(const rates_plan *plan, const rates_fit *results, size_t series, rates_measure measure)
{
    double x[RATES_SIZES], y[RATES_SIZES], w[RATES_SIZES], medians[RATES_SIZES];
    double c0, c1, cov00, cov01, cov11, chisq, m0, m1, rest;
    size_t count = 0;
    for (size_t i = 0; i < plan->sizes; i++) {
        const rates_point p = rates_point_of(plan, results, series, i, measure);
        if (!(p.mean > 0 && p.error > 0 && p.median > 0)) continue;
        medians[count] = smoe_log(p.median);
        x[count] = smoe_log((double)plan->n[i]);
        y[count] = smoe_log(p.mean);
        w[count++] = p.mean / p.error * (p.mean / p.error);
    }
    rates_slope s = {false, 0, 0, 0, 0, 0};
    if (count < 2) return s;
    gsl_fit_linear(x, 1, medians, 1, count, &m0, &m1, &cov00, &cov01, &cov11, &rest);
    gsl_fit_wlinear(x, 1, w, 1, y, 1, count, &c0, &c1, &cov00, &cov01, &cov11, &chisq);
    s = (rates_slope){isfinite(c1) && cov11 > 0, c1, sqrt(fabs(cov11)), c0, chisq, m1};
    return s;
}

static double distance(const rates_slope *s) { return (s->slope + 0.5) / s->error; }

static size_t failures(const rates_plan *plan, const rates_fit *results, size_t series)
{
    size_t failed = 0;
    for (size_t i = 0; i < plan->sizes; i++) failed += rates_point_of(plan, results, series, i, RATES_VARIATION).failed;
    return failed;
}

/* --- the table ---------------------------------------------------------------------------------------------------- */

static void print_slope(const rates_slope *s)
{
    if (s->known)
        printf("  %6.3f %5.3f %+6.1f%c", s->slope, s->error, distance(s), fabs(distance(s)) > 2 ? '*' : ' ');
    else
        printf("  %6s %5s %6s ", "-", "-", "-");
}

static void print_reasons(const rates_plan *plan, const rates_fit *results)
{
    size_t of[FIT_STATUSES] = {0}, failed = 0;
    for (size_t i = 0; i < rates_fits(plan); i++) {
        if (!results[i].done || results[i].status == FIT_CONVERGED) continue;
        of[results[i].status]++;
        failed++;
    }
    if (failed == 0) return;
    printf("Failed fits, left out of the means:");
    for (int s = FIT_CONVERGED + 1; s < FIT_STATUSES; s++)
        if (of[s]) printf(" %zu %s", of[s], fit_status_name[s]);
    printf("\n");
}

void rates_print_table(const rates_plan *plan, const rates_fit *results)
{
    const size_t last = plan->sizes - 1;
    printf("%s: seed %llu, %zu repeats, %zu sample sizes from %zu to %zu\n", plan->preset,
           (unsigned long long)plan->seed, plan->repeats, plan->sizes, plan->n[0], plan->n[last]);
    printf(
        "Slopes of the log of the mean on log n, their standard errors, and how many of these they are from -1/2.\n\n");
    printf("%-31s k  %-22s  %-22s  %-22s  %-18s failed\n", "series", "total variation V", "Hellinger h", "Voronoi D",
           "V at largest n");
    for (size_t i = 0; i < plan->series_count; i++) {
        const rates_series *s = &plan->series[i];
        const rates_point p = rates_point_of(plan, results, i, last, RATES_VARIATION);
        printf("%-31s %zu", s->name, s->fitted.k);
        for (int m = 0; m < RATES_MEASURES; m++) {
            const rates_slope slope = rates_slope_of(plan, results, i, (rates_measure)m);
            print_slope(&slope);
        }
        if (p.count > 0)
            printf("  %.5f +- %.5f", p.mean, p.error);
        else
            printf("  %-18s", "-");
        printf(" %6zu\n", failures(plan, results, i));
    }
    printf("\n* more than two standard errors from -1/2\n");
    print_reasons(plan, results);
}

/* --- for programs ------------------------------------------------------------------------------------------------- */

void rates_print_csv(const rates_plan *plan, const rates_fit *results)
{
    printf("series,estimator,gate,free_weights,k,n,measure,mean,standard_error,median,fits,failed\n");
    for (size_t i = 0; i < plan->series_count; i++)
        for (size_t j = 0; j < plan->sizes; j++)
            for (int m = 0; m < RATES_MEASURES; m++) {
                const rates_series *s = &plan->series[i];
                const rates_point p = rates_point_of(plan, results, i, j, (rates_measure)m);
                printf("\"%s\",%s,%s,%s,%zu,%zu,%s,", s->name, rates_estimator_name[s->estimator], s->gate,
                       s->fitted.free_weights ? "yes" : "no", s->fitted.k, plan->n[j], rates_measure_name[m]);
                if (p.count > 0) printf("%.17g", p.mean);
                printf(",");
                if (p.count > 1) printf("%.17g", p.error);
                printf(",");
                if (p.count > 0) printf("%.17g", p.median);
                printf(",%zu,%zu\n", p.count, p.failed);
            }
}

static json_t *number_or_null(bool known, double x) { return known && isfinite(x) ? json_real(x) : json_null(); }

static json_t *measure_json(const rates_plan *plan, const rates_fit *results, size_t series, rates_measure m)
{
    const rates_slope s = rates_slope_of(plan, results, series, m);
    json_t *points = json_array();
    for (size_t j = 0; j < plan->sizes; j++) {
        const rates_point p = rates_point_of(plan, results, series, j, m);
        json_array_append_new(points, json_pack("{s:I, s:o, s:o, s:o, s:I, s:I}", "n", (json_int_t)plan->n[j], "mean",
                                                number_or_null(p.count > 0, p.mean), "standard_error",
                                                number_or_null(p.count > 1, p.error), "median",
                                                number_or_null(p.count > 0, p.median), "fits", (json_int_t)p.count,
                                                "failed", (json_int_t)p.failed));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "slope", number_or_null(s.known, s.slope), "standard_error",
                     number_or_null(s.known, s.error), "intercept", number_or_null(s.known, s.intercept),
                     "standard_errors_from_minus_half", number_or_null(s.known, s.known ? distance(&s) : 0),
                     "chi_square", number_or_null(s.known, s.chi_square), "slope_of_medians",
                     number_or_null(s.known, s.of_medians), "points", points);
}

int rates_print_json(const rates_plan *plan, const rates_fit *results)
{
    json_t *series = json_array();
    for (size_t i = 0; i < plan->series_count; i++) {
        const rates_series *s = &plan->series[i];
        json_t *o = json_pack("{s:s, s:s, s:s, s:b, s:I, s:I}", "name", s->name, "gate", s->gate, "estimator",
                              rates_estimator_name[s->estimator], "free_weights", s->fitted.free_weights, "k",
                              (json_int_t)s->fitted.k, "failed", (json_int_t)failures(plan, results, i));
        for (int m = 0; m < RATES_MEASURES; m++)
            json_object_set_new(o, rates_measure_name[m], measure_json(plan, results, i, (rates_measure)m));
        json_array_append_new(series, o);
    }
    json_t *whole =
        json_pack("{s:s, s:o, s:o}", "smoeref", cli_version, "plan", rates_plan_json(plan), "series", series);
    char *text = whole ? json_dumps(whole, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(whole);
    if (!text) return cli_input("out of memory");
    puts(text);
    free(text);
    return 0;
}
