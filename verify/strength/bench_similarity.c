/* The time of RBF CKA, forward, and forward and backward, on one thread.
 *
 *   bench_similarity REPEATS [FILE]    prints two medians of REPEATS runs in seconds; with FILE, writes x, y, the
 *                                      value and both gradients there as raw doubles, for bench_similarity.py to compare
 *
 * n = 2048, p = 64 in both representations, biased, absolute bandwidth 8.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "similarity.h"

enum { N = 2048, P = 64 };
static const smoe_similarity how = {.kernel = SMOE_KERNEL_RBF, .sigma = 8};

static int write_all(const char *path, size_t blocks, const double *const *block, const size_t *size)
{
    FILE *f = fopen(path, "wb");
    size_t wrong = !f;
    for (size_t b = 0; f && b < blocks; b++) wrong += fwrite(block[b], sizeof(double), size[b], f) != size[b];
    if (f) wrong += fclose(f) != 0;
    if (wrong) fprintf(stderr, "bench_similarity: cannot write %s\n", path);
    return wrong == 0;
}

static double median(size_t n, double *seconds)
{
    qsort(seconds, n, sizeof *seconds, by_value);
    return seconds[n / 2];
}

int main(int argc, char **argv)
{
    const long repeats = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    if (repeats < 1 || repeats > 10000) {
        fprintf(stderr, "usage: bench_similarity REPEATS [FILE]\n");
        return 2;
    }
    double *x = room(N * P, sizeof *x), *y = room(N * P, sizeof *y), *dx = room(N * P, sizeof *dx),
           *dy = room(N * P, sizeof *dy), *work = room(smoe_cka_work(&how, N, P, P), sizeof *work),
           *forward = room((size_t)repeats, sizeof *forward), *both = room((size_t)repeats, sizeof *both), cka = 0;
    uint64_t seed = 2048;
    draw(&seed, 2, N * P, x);
    draw(&seed, 2, N * P, y);
    for (size_t k = 0; k < N * P; k++) y[k] += x[k]; /* some of y is x */
    for (long i = -1; i < repeats; i++) {            /* the run -1 warms up and is not counted */
        const double start = now();
        const smoe_status value = smoe_cka(&how, N, P, x, P, y, work, &cka);
        const double middle = now();
        const smoe_status gradient = smoe_cka_vjp(&how, N, P, x, P, y, 1, work, dx, dy);
        const double end = now();
        if (value != SMOE_OK || gradient != SMOE_OK) {
            fprintf(stderr, "bench_similarity: CKA fails\n");
            return 1;
        }
        if (i >= 0) forward[i] = middle - start;
        if (i >= 0) both[i] = end - middle; /* the gradient computes the value on its way */
    }
    printf("%.6f %.6f\n", median((size_t)repeats, forward), median((size_t)repeats, both));
    const double *const block[] = {x, y, &cka, dx, dy};
    const size_t size[] = {N * P, N * P, 1, N * P, N * P};
    return argc < 3 || write_all(argv[2], 5, block, size) ? 0 : 3;
}
