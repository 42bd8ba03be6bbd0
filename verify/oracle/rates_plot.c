/* The log-log plot of `smoeref rates`, by gnuplot (see rates.h). */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd.h"
#include "rates.h"

static bool ends_in(const char *path, const char *suffix)
{
    const size_t n = strlen(path), m = strlen(suffix);
    return n > m && strcmp(path + n - m, suffix) == 0;
}

static bool have_gnuplot(void) { return system("command -v gnuplot >/dev/null 2>&1") == 0; }

const char *rates_plot_check(const char *path)
{
    if (!ends_in(path, ".svg") && !ends_in(path, ".png")) return "expected FILE.svg or FILE.png";
    return have_gnuplot() ? NULL : "gnuplot is not installed";
}

/* Colours that colour-blind readers tell apart (Okabe and Ito), and marks that need no colour. */
static const char *const colour[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"};
enum { COLOURS = sizeof colour / sizeof *colour };
static const int mark[] = {7, 5, 9, 13, 11, 15, 6};

static const char *const title[RATES_MEASURES] = {"total variation V", "Hellinger distance h", "Voronoi loss D"};

static void print_data(FILE *g, const rates_plan *plan, const rates_fit *results, int m)
{
    for (size_t i = 0; i < plan->series_count; i++) {
        fprintf(g, "$d%d_%zu << EOD\n", m, i);
        for (size_t j = 0; j < plan->sizes; j++) {
            const rates_point p = rates_point_of(plan, results, i, j, (rates_measure)m);
            const double least = p.mean - 2 * p.error, low = least > 0 ? least : p.mean / 10; /* on a log scale */
            if (p.count > 1 && p.mean > 0)
                fprintf(g, "%zu %.6g %.6g %.6g\n", plan->n[j], p.mean, low, p.mean + 2 * p.error);
        }
        fprintf(g, "EOD\n");
    }
}

/* A line of slope -1/2, one third above the highest series at the first size: its value is this over sqrt n. */
static double reference(const rates_plan *plan, const rates_fit *results, int m)
{
    double highest = 0;
    for (size_t i = 0; i < plan->series_count; i++) {
        const rates_point p = rates_point_of(plan, results, i, 0, (rates_measure)m);
        highest = fmax(highest, p.mean);
    }
    return 1.35 * (highest > 0 ? highest : 1) * sqrt((double)plan->n[0]);
}

static void print_panel(FILE *g, const rates_plan *plan, const rates_fit *results, int m)
{
    fprintf(g, "set title '%s'\nset key %s\n", title[m], m == 0 ? "left bottom Left reverse samplen 1.5" : "off");
    fprintf(g, "set ylabel '%s'\n", m == 0 ? "mean over repeats, with two standard errors" : "");
    fprintf(g, "plot %.6g/sqrt(x) with lines lc rgb '#808080' dt 2 lw 1.5 title 'slope -1/2'",
            reference(plan, results, m));
    for (size_t i = 0; i < plan->series_count; i++) {
        const rates_slope s = rates_slope_of(plan, results, i, (rates_measure)m);
        const char *c = colour[i % COLOURS];
        if (s.known)
            fprintf(g, ", %.6g*x**(%.6g) with lines lc rgb '%s' lw 1 notitle", smoe_exp(s.intercept), s.slope, c);
        fprintf(g, ", $d%d_%zu using 1:3:(0):($4-$3) with vectors nohead lc rgb '%s' notitle", m, i, c);
        fprintf(g, ", $d%d_%zu with points lc rgb '%s' pt %d ps 0.6 title '%s, k = %zu'", m, i, c, mark[i % COLOURS],
                plan->series[i].name, plan->series[i].fitted.k);
    }
    fprintf(g, "\n");
}

static void print_script(FILE *g, const char *path, const rates_plan *plan, const rates_fit *results)
{
    const double from = (double)plan->n[0] / 1.5, to = (double)plan->n[plan->sizes - 1] * 1.5;
    if (ends_in(path, ".svg"))
        fprintf(g, "set terminal svg size 1080,440 font 'sans-serif,12' background '#ffffff'\n");
    else
        fprintf(g, "set terminal pngcairo size 1620,660 font 'sans,13'\n");
    fprintf(g, "set output \"%s\"\nset logscale xy\nset format x '10^{%%L}'\nset format y '10^{%%L}'\n", path);
    fprintf(g, "set samples 2\nset xrange [%.6g:%.6g]\nset xlabel 'samples n'\nset grid lc rgb '#e0e0e0'\n", from, to);
    fprintf(g, "set multiplot layout 1,3 margins 0.07,0.985,0.14,0.91 spacing 0.06,0\n");
    for (int m = 0; m < RATES_MEASURES; m++) print_data(g, plan, results, m);
    for (int m = 0; m < RATES_MEASURES; m++) print_panel(g, plan, results, m);
    fprintf(g, "unset multiplot\nset output\n");
}

int rates_plot(const char *path, const rates_plan *plan, const rates_fit *results, char *err, size_t errlen)
{
    if (strpbrk(path, "\"\\\n`")) {
        snprintf(err, errlen, "%s: gnuplot cannot be given such a name", path);
        return -1;
    }
    void (*old)(int) = signal(SIGPIPE, SIG_IGN);
    FILE *g = popen("gnuplot - >/dev/null", "w");
    int status = -1;
    if (g) {
        print_script(g, path, plan, results);
        status = pclose(g);
    }
    signal(SIGPIPE, old);
    if (g && status == 0) return 0;
    snprintf(err, errlen, "%s: gnuplot failed", path);
    return -1;
}
