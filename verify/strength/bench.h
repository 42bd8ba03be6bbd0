/* What the benchmarks of ref/ share: memory, numbers, the clock, the median. */
#ifndef SMOEREF_STRENGTH_BENCH_H
#define SMOEREF_STRENGTH_BENCH_H

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

static inline void *room(size_t n, size_t each)
{
    void *p = calloc(n, each);
    if (!p) exit(3);
    return p;
}

/* Uniform in (-scale, scale), from SplitMix64. */
static inline void draw(uint64_t *state, double scale, size_t n, double *x)
{
    for (size_t k = 0; k < n; k++) {
        uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        z ^= z >> 31;
        x[k] = scale * ((double)(z >> 11) * 0x1p-52 - 1);
    }
}

static inline double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* one thread: time on the processor, whoever else is busy */
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

#endif
