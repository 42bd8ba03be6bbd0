/* How fast our matrix product (N.13) is next to OpenBLAS's DGEMM, in one run on one thread; and that its bits are those
 * of the triple loop that defines it.
 *
 *   bench_matmul [MINIMUM]     exit 1 if a median ratio is below MINIMUM (default 0), or if bits differ;
 *                              exit 2 if OPENBLAS_CORETYPE forces a kernel on OpenBLAS, which would not be fair
 *
 * Each repeat times both, in alternating order; the ratio is the median over repeats of theirs divided by ours.
 */
#include <cblas.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "numerics.h"

void openblas_set_num_threads(int number);
char *openblas_get_corename(void);

enum { REPEATS = 41 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(size_t n, double *x)
{
    qsort(x, n, sizeof *x, by_value);
    return x[n / 2];
}

/* Numbers of full precision in [-1,1), by a linear congruence: their products round at every step. */
static double *draw(size_t count, unsigned long long state)
{
    double *x = malloc(count * sizeof *x);
    if (!x) exit(2);
    for (size_t i = 0; i < count; i++) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        x[i] = (double)(state >> 11) * 0x1p-52 - 1;
    }
    return x;
}

static double ours(size_t n, const double *A, const double *B, double *C)
{
    double t = now();
    smoe_matmul_nn(n, n, n, A, B, C);
    return now() - t;
}

static double theirs(size_t n, const double *A, const double *B, double *C)
{
    int i = (int)n;
    double t = now();
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, i, i, i, 1.0, A, i, B, i, 0.0, C, i);
    return now() - t;
}

static bool measure(size_t n, double minimum)
{
    double *A = draw(n * n, 1), *B = draw(n * n, 2), *C = draw(n * n, 3), *D = draw(n * n, 4);
    double a[REPEATS], b[REPEATS], ratio[REPEATS];
    size_t repeats = n > 512 ? 11 : REPEATS;
    ours(n, A, B, C);
    theirs(n, A, B, D);
    for (size_t r = 0; r < repeats; r++) {
        if (r % 2)
            a[r] = ours(n, A, B, C), b[r] = theirs(n, A, B, D);
        else
            b[r] = theirs(n, A, B, D), a[r] = ours(n, A, B, C);
        ratio[r] = b[r] / a[r];
    }
    smoe_matmul_naive_nn(n, n, n, A, B, D);
    bool same = memcmp(C, D, n * n * sizeof *C) == 0;
    double flops = 2e-9 * (double)n * (double)n * (double)n, middle = median(repeats, ratio);
    printf("%6zu %12.1f %12.1f %8.2f   %s\n", n, flops / median(repeats, a), flops / median(repeats, b), middle,
           same ? "equal" : "DIFFERENT");
    free(A), free(B), free(C), free(D);
    return same && middle >= minimum;
}

int main(int argc, char **argv)
{
    double minimum = argc > 1 ? strtod(argv[1], NULL) : 0;
    const char *what;
    if (smoe_selftest(&what) != SMOE_OK) return fprintf(stderr, "bench_matmul: %s\n", what), 2;
    if (getenv("OPENBLAS_CORETYPE"))
        return fputs("bench_matmul: unset OPENBLAS_CORETYPE, else OpenBLAS does not run its best kernel\n", stderr), 2;
    openblas_set_num_threads(1);
    printf("our kernel: %s; OpenBLAS core: %s; one thread, median of paired repeats\n", smoe_matmul_kernel(0),
           openblas_get_corename());
    printf("     n  ours GFLOP/s  OpenBLAS GFLOP/s  ratio  bits against the triple loop\n");
    bool good = true;
    const size_t sizes[] = {256, 512, 1024};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (!measure(sizes[i], minimum)) good = false;
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
