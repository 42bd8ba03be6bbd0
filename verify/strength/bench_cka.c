/* The time of linear CKA in feature space on one thread: three pairs' moments, block after block, and the ratio.
 *
 *   bench_cka REPEATS [FILE]    prints the median of REPEATS runs in seconds; with FILE, writes x, y and the biased and the
 *                               unbiased CKA there as raw doubles, for bench_cka.py to compare
 *
 * n = 100,000, p = q = 256.  The self-similarities need x^T x and y^T y, the other x^T y: 3 products of 2 n p^2 flop.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "similarity.h"

enum { SAMPLES = 100000, P = 256, BLOCK = 512 };

typedef struct {
    double *x, *y, *shift_x, *shift_y, *work, *finish;
    smoe_moments xy, xx, yy;
} bench;

static smoe_moments moments(void)
{
    return (smoe_moments){0,
                          P,
                          P,
                          room(P, sizeof(double)),
                          room(P, sizeof(double)),
                          room(P * P, sizeof(double)),
                          room(P, sizeof(double)),
                          room(P, sizeof(double)),
                          0,
                          0,
                          0};
}

static void mean(const double *x, double *to)
{
    for (size_t k = 0; k < P; k++) to[k] = 0;
    for (size_t i = 0; i < 1024; i++)
        for (size_t k = 0; k < P; k++) to[k] += x[i * P + k] / 1024;
}

static smoe_status one(smoe_moments *m, bench *b, const double *x, const double *y, const double *sx, const double *sy,
                       size_t row)
{
    const size_t rows = SAMPLES - row < BLOCK ? SAMPLES - row : BLOCK;
    return smoe_moments_add(m, rows, x + row * P, y + row * P, sx, sy, b->work);
}

static smoe_status ratio(const bench *b, smoe_estimator e, double *cka)
{
    double xy = 0, xx = 0, yy = 0;
    smoe_status s = smoe_hsic_moments(&b->xy, e, SMOE_DIVIDE_N_LESS_1, b->finish, &xy);
    if (s == SMOE_OK) s = smoe_hsic_moments(&b->xx, e, SMOE_DIVIDE_N_LESS_1, b->finish, &xx);
    if (s == SMOE_OK) s = smoe_hsic_moments(&b->yy, e, SMOE_DIVIDE_N_LESS_1, b->finish, &yy);
    return s == SMOE_OK ? smoe_cka_ratio(xy, xx, yy, cka) : s;
}

static smoe_status run(bench *b, double cka[2])
{
    smoe_status s = SMOE_OK;
    mean(b->x, b->shift_x);
    mean(b->y, b->shift_y);
    smoe_moments_start(&b->xy);
    smoe_moments_start(&b->xx);
    smoe_moments_start(&b->yy);
    for (size_t row = 0; row < SAMPLES && s == SMOE_OK; row += BLOCK) {
        s = one(&b->xy, b, b->x, b->y, b->shift_x, b->shift_y, row);
        if (s == SMOE_OK) s = one(&b->xx, b, b->x, b->x, b->shift_x, b->shift_x, row);
        if (s == SMOE_OK) s = one(&b->yy, b, b->y, b->y, b->shift_y, b->shift_y, row);
    }
    if (s == SMOE_OK) s = ratio(b, SMOE_HSIC_BIASED, &cka[0]);
    return s == SMOE_OK ? ratio(b, SMOE_HSIC_DEBIASED, &cka[1]) : s;
}

static int write_all(const char *path, const bench *b, const double cka[2])
{
    FILE *f = fopen(path, "wb");
    const size_t n = (size_t)SAMPLES * P;
    size_t wrong = !f;
    if (f) {
        wrong += fwrite(b->x, sizeof(double), n, f) != n || fwrite(b->y, sizeof(double), n, f) != n;
        wrong += fwrite(cka, sizeof(double), 2, f) != 2;
        wrong += fclose(f) != 0;
    }
    if (wrong) fprintf(stderr, "bench_cka: cannot write %s\n", path);
    return wrong == 0;
}

int main(int argc, char **argv)
{
    const long repeats = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    if (repeats < 1 || repeats > 10000) {
        fprintf(stderr, "usage: bench_cka REPEATS [FILE]\n");
        return 2;
    }
    const size_t n = (size_t)SAMPLES * P;
    bench b = {room(n, sizeof(double)),
               room(n, sizeof(double)),
               room(P, sizeof(double)),
               room(P, sizeof(double)),
               room(BLOCK * 2 * P, sizeof(double)),
               room(P, sizeof(double)),
               moments(),
               moments(),
               moments()};
    double *seconds = room((size_t)repeats, sizeof *seconds), cka[2];
    uint64_t seed = 2024;
    draw(&seed, 1, n, b.x);
    draw(&seed, 1, n, b.y);
    for (size_t k = 0; k < n; k++) b.y[k] = 3 + b.y[k] + b.x[k]; /* similar, and far from centred */
    for (long i = 0; i < repeats; i++) {
        const double start = now();
        if (run(&b, cka) != SMOE_OK) {
            fprintf(stderr, "bench_cka: CKA fails\n");
            return 1;
        }
        seconds[i] = now() - start;
    }
    qsort(seconds, (size_t)repeats, sizeof *seconds, by_value);
    printf("%.6f\n", seconds[repeats / 2]);
    return argc < 3 || write_all(argv[2], &b, cka) ? 0 : 3;
}
