/* The tables of spec/06-similarity.md, "Properties shown", as they stand there, and the published example of K.9:  make facts
 *
 * Draws are those of spec/operations.md (stream "facts/..."), so that everybody gets the same tables.
 * tests/facts_test.sh compares.
 */
#include <gsl/gsl_rng.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "op.h"
#include "similarity.h"
#include "twin.h"

static const smoe_similarity linear = {.kernel = SMOE_KERNEL_LINEAR, .route = SMOE_ROUTE_FEATURES};
static const smoe_similarity rbf = {.kernel = SMOE_KERNEL_RBF, .sigma = 0.8, .detach = true};

static double *doubles(size_t n) { return op_room(n, sizeof(double)); }

static void draw(op_rng *r, double scale, size_t n, double *x)
{
    for (size_t k = 0; k < n; k++) x[k] = scale * op_normal(r);
}

static double cka(smoe_similarity how, size_t n, size_t p, const double *x, size_t q, const double *y)
{
    double *work = doubles(smoe_cka_work(&how, n, p, q)), value = NAN;
    (void)smoe_cka(&how, n, p, x, q, y, work, &value);
    free(work);
    return value;
}

/* The largest element of the gradient of x. */
static double steepest(smoe_similarity how, size_t n, size_t p, const double *x, const double *y)
{
    double *work = doubles(smoe_cka_work(&how, n, p, p)), *dx = doubles(n * p), *dy = doubles(n * p), most = NAN;
    if (smoe_cka_vjp(&how, n, p, x, p, y, 1, work, dx, dy) == SMOE_OK) {
        most = 0;
        for (size_t k = 0; k < n * p; k++) most = fmax(most, fabs(dx[k]));
    }
    free(work);
    free(dx);
    free(dy);
    return most;
}

static void print_mean(size_t draws, double sum, double square)
{
    const double R = (double)draws, mean = sum / R, variance = (square - sum * mean) / (R - 1);
    printf(" %s%.4f ± %.4f |", signbit(mean) ? "−" : "", fabs(mean), sqrt(variance / R));
}

static void bias(size_t n, size_t p, size_t q, size_t draws)
{
    op_rng *r = op_rng_new(1, "facts/bias");
    double *x = doubles(n * p), *y = doubles(n * q), sum[2] = {0, 0}, square[2] = {0, 0};
    for (size_t draw_ = 0; draw_ < draws; draw_++) {
        draw(r, 1, n * p, x);
        draw(r, 1, n * q, y);
        for (int e = 0; e < 2; e++) {
            smoe_similarity how = linear;
            how.estimator = e == 0 ? SMOE_HSIC_BIASED : SMOE_HSIC_UNBIASED;
            const double value = cka(how, n, p, x, q, y);
            sum[e] += value;
            square[e] += value * value;
        }
    }
    const double N = (double)n, P = (double)p, Q = (double)q;
    printf("| %zu | %zu | %zu | %.4f |", n, p, q, sqrt(P * Q / ((N + P) * (N + Q))));
    for (int e = 0; e < 2; e++) print_mean(draws, sum[e], square[e]);
    printf("\n");
    free(x);
    free(y);
    op_rng_free(r);
}

static void scale_of_features(size_t n, size_t p, const char *text)
{
    const double scale = atof(text);
    op_rng *r = op_rng_new(1, "facts/scale");
    double *x = doubles(n * p), *y = doubles(n * p);
    draw(r, scale, n * p, x);
    draw(r, scale, n * p, y);
    smoe_similarity median = rbf;
    median.bandwidth = SMOE_BANDWIDTH_MEDIAN;
    printf("| %s | %.4f | %.1e | %.4f | %.1e | %.4f |\n", text, cka(rbf, n, p, x, p, y), steepest(rbf, n, p, x, y),
           cka(median, n, p, x, p, y), steepest(median, n, p, x, y), cka(linear, n, p, x, p, y));
    free(x);
    free(y);
    op_rng_free(r);
}

static void rules_of_the_median(size_t n, size_t p)
{
    static const char *const diagonals[] = {"with", "without"}, *const middles[] = {"mean", "lower"};
    op_rng *r = op_rng_new(1, "facts/median");
    double *x = doubles(n * p), *D = doubles(n * n), variance;
    draw(r, 1, n * p, x);
    if (smoe_squared_distances(n, p, x, D) != SMOE_OK) abort();
    for (int d = 0; d < 2; d++)
        for (int m = 0; m < 2; m++) {
            printf("| %s | %s |", diagonals[d], middles[m]);
            for (int s = 0; s < 2; s++) {
                const smoe_similarity how = {.kernel = SMOE_KERNEL_RBF,
                                             .sigma = 1,
                                             .bandwidth = SMOE_BANDWIDTH_MEDIAN,
                                             .diagonal = d == 0 ? SMOE_DIAGONAL_WITH : SMOE_DIAGONAL_WITHOUT,
                                             .middle = m == 0 ? SMOE_MIDDLE_MEAN : SMOE_MIDDLE_LOWER,
                                             .median = s == 0 ? SMOE_MEDIAN_DISTANCE : SMOE_MEDIAN_SQUARE};
                if (smoe_bandwidth_median(&how, n, D, &variance) != SMOE_OK) abort();
                printf(" %.4f |", variance);
            }
            printf("\n");
        }
    free(x);
    free(D);
    op_rng_free(r);
}

/* Gaussians rounded to multiples of 2^-20, so that adding the offset loses no digit. */
static void offset(size_t n, size_t p, const char *text)
{
    const double by = atof(text);
    op_rng *r = op_rng_new(1, "facts/offset");
    double *x = doubles(n * p), *y = doubles(n * p), *moved = doubles(n * p), worst = 0;
    size_t negative = 0;
    for (size_t k = 0; k < n * p; k++) x[k] = nearbyint(0x1p20 * op_normal(r)) * 0x1p-20;
    for (size_t k = 0; k < n * p; k++) y[k] = nearbyint(0x1p20 * op_normal(r)) * 0x1p-20;
    for (size_t k = 0; k < n * p; k++) moved[k] = x[k] + by;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) {
            double direct = 0, ii = 0, jj = 0, ij = 0;
            for (size_t k = 0; k < p; k++) {
                const double a = moved[i * p + k], b = moved[j * p + k];
                direct += (a - b) * (a - b);
                ii += a * a;
                jj += b * b;
                ij += a * b;
            }
            const double expanded = ii + jj - 2 * ij;
            if (expanded < 0) negative++;
            worst = fmax(worst, fabs(expanded - direct) / direct);
        }
    printf("| %s |", text);
    for (int h = 0; h < 3; h++) {
        smoe_similarity how = h == 2 ? rbf : linear;
        if (h == 0) how.route = SMOE_ROUTE_GRAM;
        printf(" %.2g%s", fabs(cka(how, n, p, moved, p, y) - cka(how, n, p, x, p, y)), h == 2 ? " |" : ",");
    }
    printf(" %.1e | %zu |\n", worst, negative);
    free(x);
    free(y);
    free(moved);
    op_rng_free(r);
}

/* --- errors under an offset, against the enclosure of the exact values --- */

static void fill_offset(op_case *c, op_rng *r, double by)
{
    double *x = op_in(c, "x"), *y = op_in(c, "y");
    for (size_t k = 0; k < c->in[0].count; k++) x[k] = op_normal(r) + by;
    for (size_t k = 0; k < c->in[1].count; k++) y[k] = x[k] - by + op_normal(r) - by;
    *op_cot(c, "cka") = 1;
}

static void fill_near(op_case *c, op_rng *r) { fill_offset(c, r, 0); }
static void fill_1e3(op_case *c, op_rng *r) { fill_offset(c, r, 1e3); }
static void fill_1e6(op_case *c, op_rng *r) { fill_offset(c, r, 1e6); }
static void fill_1e8(op_case *c, op_rng *r) { fill_offset(c, r, 1e8); }

static double last_place(double x) { return nextafter(fabs(x), INFINITY) - fabs(x); }

/* The largest error of the elements in units of the last place of the largest of them. */
static double error_of(const double *got, const twin_tensor *exact)
{
    double error = 0, top = 0;
    for (size_t i = 0; i < exact->count; i++) {
        top = fmax(top, fabs(exact->hi[i]));
        error = fmax(error, fabs(got[i] - exact->hi[i] - exact->lo[i]) + exact->rad[i]);
    }
    return error / last_place(top);
}

/* The largest errors of three draws: of CKA, and of its gradient. */
static void errors(const char *id, const char *set, void (*fill)(op_case *, op_rng *))
{
    const op_spec spec = {"offset", "facts", "n=32,p=16,q=16", set, "", "", fill};
    double value = 0, gradient = 0;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        char err[256];
        twin_result exact = {0};
        op_case *c = op_case_from_spec(op_find(id), &spec, seed, err, sizeof err);
        if (!c || op_run(c) != SMOE_OK || twin_run(c, NULL, NULL, 192, &exact, err, sizeof err) != 0) abort();
        value = fmax(value, error_of(c->out[0].f64, &exact.out[0]));
        for (size_t i = 0; i < 2; i++) gradient = fmax(gradient, error_of(c->grad[i].f64, &exact.grad[i]));
        twin_result_clear(&exact);
        op_case_free(c);
    }
    printf(" %.*f, %.*f |", value < 1000, value, gradient < 1000, gradient);
}

static void errors_under_offsets(const char *what, const char *id, const char *set)
{
    printf("| %s |", what);
    errors(id, set, fill_near);
    errors(id, set, fill_1e3);
    errors(id, set, fill_1e6);
    errors(id, set, fill_1e8);
    printf("\n");
}

static void all_errors(void)
{
    static const char median[] = "kernel=rbf,bandwidth=median,", far[] = "kernel=rbf,", cka_id[] = "similarity.cka";
    static const char *const estimators[] = {"biased", "unbiased", "debiased"};
    const struct {
        const char *what, *set;
    } kernels[] = {
        {"linear", ""}, {"linear, features", "route=features,"}, {"RBF, .8 median", median}, {"RBF, .8", far}};
    for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++)
        for (size_t e = 0; e < 3; e++) {
            char what[64], set[128];
            snprintf(what, sizeof what, "%s, %s", kernels[k].what, estimators[e]);
            snprintf(set, sizeof set, "%sestimator=%s", kernels[k].set, estimators[e]);
            errors_under_offsets(what, cka_id, set);
        }
    errors_under_offsets("linear, batches of 8", "similarity.minibatch", "batch=8");
    errors_under_offsets("RBF, .8 median, batches of 8", "similarity.minibatch", "kernel=rbf,bandwidth=median,batch=8");
}

/* --- the published example: NumPy's RandomState(1337), whose integers are those of GSL's mt19937 --- */

typedef struct {
    gsl_rng *g;
    bool kept;
    double other;
} numpy_state;

static double numpy_uniform(numpy_state *s)
{
    const double high = (double)(gsl_rng_get(s->g) >> 5), low = (double)(gsl_rng_get(s->g) >> 6);
    return (high * 0x1p26 + low) * 0x1p-53;
}

/* randn(): polar pairs, the second number first. */
static double numpy_normal(numpy_state *s)
{
    double a, b, square;
    if (s->kept) {
        s->kept = false;
        return s->other;
    }
    do {
        a = 2 * numpy_uniform(s) - 1;
        b = 2 * numpy_uniform(s) - 1;
        square = a * a + b * b;
    } while (square >= 1 || square == 0);
    const double f = sqrt(-2 * smoe_log(square) / square);
    s->kept = true;
    s->other = f * a;
    return f * b;
}

static void published(void)
{
    numpy_state s = {gsl_rng_alloc(gsl_rng_mt19937), false, 0};
    double x[1000], y[1000];
    gsl_rng_set(s.g, 1337);
    for (size_t k = 0; k < 1000; k++) x[k] = numpy_normal(&s);
    for (size_t k = 0; k < 1000; k++) y[k] = numpy_normal(&s) + x[k];
    gsl_rng_free(s.g);
    smoe_similarity features = linear, gram = linear, debiased = linear, half = rbf;
    gram.route = SMOE_ROUTE_GRAM;
    debiased.estimator = SMOE_HSIC_DEBIASED;
    half.sigma = 0.5;
    half.bandwidth = SMOE_BANDWIDTH_MEDIAN;
    printf("| linear, features | 0.55761 | %.8f |\n", cka(features, 100, 10, x, 10, y));
    printf("| linear, Gram | 0.55761 | %.8f |\n", cka(gram, 100, 10, x, 10, y));
    printf("| linear, debiased | 0.51346 | %.8f |\n", cka(debiased, 100, 10, x, 10, y));
    printf("| RBF, half the median | 0.65483 | %.8f |\n", cka(half, 100, 10, x, 10, y));
}

int main(void)
{
    printf("Linear CKA of independent standard normal features: sqrt(p q / ((n+p)(n+q))), and means over draws\n\n");
    printf("| n | p | q | by the formula | biased CKA | unbiased CKA |\n|---|---|---|---|---|---|\n");
    static const size_t n[] = {4, 8, 16, 32, 64, 256, 1024};
    for (size_t k = 0; k < sizeof n / sizeof *n; k++) bias(n[k], 16, 16, n[k] <= 64 ? 2000 : 200);
    bias(64, 4, 64, 2000);
    bias(64, 64, 64, 500);
    bias(256, 256, 256, 20);
    printf("\nIndependent features of one scale, n = 64, p = 16: RBF CKA and the largest element of its gradient\n\n");
    printf("| scale | $\\sigma$ = 0.8 absolute | gradient | 0.8 × median | gradient | linear "
           "|\n|---|---|---|---|---|---|\n");
    static const char *const scale[] = {"3e-4", "1e-2", "0.1", "0.3", "1", "3", "10"};
    for (size_t k = 0; k < sizeof scale / sizeof *scale; k++) scale_of_features(64, 16, scale[k]);
    printf("\nsigma^2 by the rules of the median, n = 10, p = 16, sigma = 1\n\n");
    printf("| diagonal | middle | distance | square |\n|---|---|---|---|\n");
    rules_of_the_median(10, 16);
    printf("\nAn offset added to x, n = 32, p = 16: change of CKA, and what the expansion g_ii + g_jj - 2 g_ij would "
           "do\n\n");
    printf("| offset | change of CKA (linear by Gram, by features, RBF) | "
           "relative error of $G_{ii}+G_{jj}-2G_{ij}$ | negative distances of 496 |\n|---|---|---|---|\n");
    static const char *const by[] = {"1e3", "1e6", "1e8"};
    for (size_t k = 0; k < sizeof by / sizeof *by; k++) offset(32, 16, by[k]);
    printf(
        "\nErrors of CKA and of its gradient under an offset of x and the opposite one of y, rounded, n = 32, p = 16,\n"
        "largest of three draws, in units in the last place of CKA, and of the gradient's largest element\n\n");
    printf("| CKA | 0 | 1e3 | 1e6 | 1e8 |\n|---|---|---|---|---|\n");
    all_errors();
    printf("\nThe example of Kornblith et al.: X = randn(100,10), Y = randn(100,10) + X of seed 1337\n");
    printf("\n| CKA | published | here |\n|---|---|---|\n");
    published();
    return 0;
}
