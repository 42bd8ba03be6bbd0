/* exp and expm1 in doubles (spec/00-numerics.md, N.14): their constants, made and checked, and their rounding, against MPFR.
 *
 *   exponentials --table               prints the lines of exp_table as they stand in ref/numerics.c
 *   exponentials POINTS NUMERICS_C     looks for each line and constant in that file, compares POINTS random arguments,
 *                                      and a tenth as many of each narrower range, with MPFR on every kernel, and prints
 *                                      the time of a call
 *   exponentials --break POINTS        the same for results that are one unit off once in 4096: the run must then fail
 */
#include <inttypes.h>
#include <math.h>
#include <mpfr.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "numerics.h"

enum { BITS = 400, ENTRIES = 32, LINES = 16, LINE = 128, BLOCK = 4096 };

/* v as the sum of two doubles, the first the nearest to v. */
static void split(mpfr_t v, double *high, double *low)
{
    *high = mpfr_get_d(v, MPFR_RNDN);
    mpfr_sub_d(v, v, *high, MPFR_RNDN);
    *low = mpfr_get_d(v, MPFR_RNDN);
}

/* 2^(j/32) in two doubles. */
static void entry(unsigned j, double *high, double *low)
{
    mpfr_t v;
    mpfr_init2(v, BITS);
    mpfr_set_ui(v, j, MPFR_RNDN);
    mpfr_div_ui(v, v, ENTRIES, MPFR_RNDN);
    mpfr_exp2(v, v, MPFR_RNDN);
    split(v, high, low);
    mpfr_clear(v);
}

/* Line k of the table: four numbers, of the first half the powers, of the second what they lack. */
static void table_line(unsigned k, char line[LINE])
{
    double x[4], high, low;
    for (unsigned i = 0; i < 4; i++) {
        entry((4 * k + i) % ENTRIES, &high, &low);
        x[i] = 4 * k < ENTRIES ? high : low;
    }
    snprintf(line, LINE, "    %a, %a, %a, %a,\n", x[0], x[1], x[2], x[3]);
}

static bool stands_in(const char *text, const char *what)
{
    if (strstr(text, what)) return true;
    fprintf(stderr, "exponentials: ref/numerics.c lacks %s\n", what);
    return false;
}

static bool constant_stands_in(const char *text, double x, const char *meaning)
{
    char line[LINE];
    snprintf(line, sizeof line, "SPLAT(%a)", x);
    if (stands_in(text, line)) return true;
    fprintf(stderr, "exponentials: that is %s\n", meaning);
    return false;
}

static bool constants_stand_in(const char *text)
{
    bool all = true;
    char line[LINE];
    for (unsigned k = 0; k < LINES; k++) {
        table_line(k, line);
        all &= stands_in(text, line);
    }
    mpfr_t v;
    double high, low;
    mpfr_init2(v, BITS);
    mpfr_const_log2(v, MPFR_RNDN);
    mpfr_ui_div(v, ENTRIES, v, MPFR_RNDN);
    all &= constant_stands_in(text, mpfr_get_d(v, MPFR_RNDN), "32 / ln 2");
    mpfr_const_log2(v, MPFR_RNDN);
    mpfr_div_ui(v, v, ENTRIES, MPFR_RNDN);
    split(v, &high, &low);
    all &= constant_stands_in(text, -high, "-ln 2 / 32");
    all &= constant_stands_in(text, -low, "what -ln 2 / 32 lacks");
    mpfr_clear(v);
    double factorial = 2;
    for (int k = 3; k <= 7; k++) all &= constant_stands_in(text, 1 / (factorial *= k), "1 / k!, 3 <= k <= 7");
    return all;
}

static char *read_text(const char *path)
{
    enum { MOST = 1 << 20 };
    FILE *f = fopen(path, "rb");
    char *text = room(MOST, 1);
    const size_t n = f ? fread(text, 1, MOST - 1, f) : 0;
    if (f) fclose(f);
    if (n == 0) fprintf(stderr, "exponentials: cannot read %s\n", path);
    return text;
}

/* The nearest double of the exact value: many bits, then one rounding onto the doubles' own grid. */
static double nearest(bool less_one, double x)
{
    MPFR_DECL_INIT(v, 53);
    MPFR_DECL_INIT(y, 160);
    mpfr_set_d(v, x, MPFR_RNDN);
    (less_one ? mpfr_expm1 : mpfr_exp)(y, v, MPFR_RNDN);
    return mpfr_get_d(y, MPFR_RNDN);
}

typedef struct {
    const char *name;
    double low, high; /* uniform in between */
    double unit;      /* or, if not 0, odd multiples of it: e^x is x^2/2 beside a tie */
} range;

static const range ranges[] = {
    {"everywhere", -746, 710, 0},           {"from -40", -40, 0, 0},
    {"from -2", -2, 0, 0},                  {"around 0", -0.0625, 0.0625, 0},
    {"very near 0", -0x1p-20, 0x1p-20, 0},  {"by ties above 1", 0, 0x1p-26, 0x1p-53},
    {"by ties below 1", -0x1p-26, 0, 0x1p-54}, {"subnormal results", -745.2, -708, 0},
    {"to infinity", 709, 709.79, 0},
};
enum { RANGES = sizeof ranges / sizeof *ranges };

static void arguments(const range *r, uint64_t *seed, size_t n, double *x)
{
    draw(seed, 0.5, n, x);
    for (size_t i = 0; i < n; i++) {
        x[i] = r->low + (x[i] + 0.5) * (r->high - r->low);
        if (r->unit != 0) x[i] = (2 * rint(x[i] / r->unit / 2) + 1) * r->unit;
    }
}

static bool same(double a, double b) { return memcmp(&a, &b, sizeof a) == 0; }

/* How many of a block are wrong on a kernel, or by the function of one number; says the first. */
static size_t wrong_of_block(bool less_one, const double *x, const double *want, bool spoil, const char *name)
{
    double got[BLOCK];
    size_t wrong = 0;
    for (size_t kernel = 0;; kernel++) {
        const bool one = !smoe_matmul_kernel(kernel);
        if (!one) smoe_exponential_on(kernel, less_one, BLOCK, x, got);
        for (size_t i = 0; i < BLOCK; i++) {
            if (one) got[i] = less_one ? smoe_expm1(x[i]) : smoe_exp(x[i]);
            if (spoil && i == 7) got[i] = nextafter(got[i], INFINITY);
            if (!same(got[i], want[i]) && wrong++ == 0)
                fprintf(stderr, "exponentials: %s, %s(%a) is %a, nearest %a (%s)\n", name, less_one ? "expm1" : "exp", x[i],
                        got[i], want[i], one ? "one number" : smoe_matmul_kernel(kernel));
        }
        if (one) return wrong;
    }
}

static size_t wrong_of_range(const range *r, size_t points, bool spoil)
{
    static double x[BLOCK], want[BLOCK];
    uint64_t seed = 14;
    size_t wrong[2] = {0, 0}, done = 0;
    for (; done < points; done += BLOCK) {
        arguments(r, &seed, BLOCK, x);
        for (int less_one = 0; less_one < 2; less_one++) {
            for (size_t i = 0; i < BLOCK; i++) want[i] = nearest(less_one, x[i]);
            wrong[less_one] += wrong_of_block(less_one, x, want, spoil, r->name);
        }
    }
    printf("%-20s %9zu points: exp %zu wrong, expm1 %zu wrong\n", r->name, done, wrong[0], wrong[1]);
    return wrong[0] + wrong[1];
}

static double nanoseconds(bool less_one, bool many, const double *x, double *y)
{
    enum { RUNS = 401 };
    static double seconds[RUNS];
    for (size_t i = 0; i < RUNS; i++) {
        const double start = now();
        if (many && less_one) smoe_expm1_many(BLOCK, x, y);
        if (many && !less_one) smoe_exp_many(BLOCK, x, y);
        for (size_t k = 0; !many && k < BLOCK; k++) y[k] = less_one ? smoe_expm1(x[k]) : smoe_exp(x[k]);
        seconds[i] = now() - start;
    }
    qsort(seconds, RUNS, sizeof *seconds, by_value);
    return seconds[RUNS / 2] / BLOCK * 1e9;
}

static void print_times(void)
{
    static double x[BLOCK], y[BLOCK];
    uint64_t seed = 15;
    for (size_t r = 0; r < 5; r++) {
        arguments(&ranges[r], &seed, BLOCK, x);
        printf("%-20s exp %5.1f ns, of many %5.1f ns; expm1 %5.1f ns, of many %5.1f ns\n", ranges[r].name,
               nanoseconds(false, false, x, y), nanoseconds(false, true, x, y), nanoseconds(true, false, x, y),
               nanoseconds(true, true, x, y));
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--table") == 0) {
        char line[LINE];
        for (unsigned k = 0; k < LINES; k++) {
            table_line(k, line);
            fputs(line, stdout);
        }
        return 0;
    }
    const bool spoil = argc == 3 && strcmp(argv[1], "--break") == 0;
    const long points = argc == 3 ? strtol(argv[spoil ? 2 : 1], NULL, 10) : 0;
    if (points < 1) {
        fprintf(stderr, "usage: exponentials --table | POINTS NUMERICS_C | --break POINTS\n");
        return 2;
    }
    bool good = spoil || constants_stand_in(read_text(argv[2]));
    for (size_t r = 0; r < RANGES; r++) good &= wrong_of_range(&ranges[r], (size_t)(r == 0 ? points : points / 10 + 1), spoil) == 0;
    if (!spoil) print_times();
    printf("exponentials: %s\n", good ? "constants as made, all correctly rounded" : "FAILED");
    return good ? 0 : 1;
}
