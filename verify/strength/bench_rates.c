/* Fits of `smoeref rates exact`, timed, with their data left for another program to fit.
 *
 *     bench_rates FOLDER REPEATS     one line a fit: number, gate, n, log-likelihood, evaluations, seconds of CPU
 *
 * FOLDER/NUMBER.f64 has x [n], y [n] and the start [k,p], doubles of this machine.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "rates.h"

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int leave(const char *folder, size_t i, const rates_data *d, size_t parameters)
{
    char name[1000];
    snprintf(name, sizeof name, "%s/%zu.f64", folder, i);
    FILE *f = fopen(name, "wb");
    if (!f) return -1;
    const size_t wrote = fwrite(d->x, sizeof(double), d->n, f) + fwrite(d->y, sizeof(double), d->n, f) +
                         fwrite(d->start, sizeof(double), parameters, f);
    return fclose(f) == 0 && wrote == 2 * d->n + parameters ? 0 : -1;
}

int main(int argc, char **argv)
{
    rates_plan plan;
    char text[RATES_TEXT];
    if (argc != 3 || !rates_plan_start(&plan, "exact")) return 2;
    plan.repeats = strtoul(argv[2], NULL, 10);
    if (rates_plan_finish(&plan, text) != NULL) return 2;
    const fit_options options = fit_defaults();
    for (size_t i = 0; i < rates_fits(&plan); i++) {
        const rates_series *s = &plan.series[rates_place_of(&plan, i).series];
        double theta[RATES_PARAMETERS];
        rates_data d = rates_draw(&plan, i);
        const double began = seconds();
        const fit_result f = fit_likelihood(&s->fitted, d.n, d.x, d.y, plan.starts, d.start, &options, theta);
        const double took = seconds() - began;
        if (leave(argv[1], i, &d, smoe_mix_parameters(&s->fitted)) != 0) return 3;
        printf("%zu %s %zu %.17g %zu %.6f\n", i, s->gate, d.n, f.status == FIT_CONVERGED ? f.loglik : -1e300,
               f.evaluations, took);
        rates_data_free(&d);
    }
    return 0;
}
