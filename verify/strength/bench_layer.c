/* The time of layer.smoe, forward and all gradients, on one thread.
 *
 *   bench_layer REPEATS [FILE]    prints the median of REPEATS runs in seconds; with FILE, writes inputs, cotangent,
 *                                 output and gradients there as raw doubles, for bench_layer.py to compare
 *
 * T = 1024, d = 256, h = 1024, N = 8, K = 2, ReLU, softmax after the selection.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "layer.h"

enum { T = 1024, D = 256, H = 1024, N = 8, K = 2, A = T * K };
static const smoe_layer_shape shape = {SMOE_TOPK_SOFTMAX, SMOE_RELU, T, D, H, N, K};

enum { BLOCKS = 7 };
static const size_t size[BLOCKS] = {T * D, N * D, N, N * H * D, N * H, N * D * H, N * D}; /* x wr br w1 b1 w2 b2 */

static int write_all(const char *path, double *const q[BLOCKS], const double *dy, const double *y,
                     double *const g[BLOCKS])
{
    FILE *f = fopen(path, "wb");
    size_t wrong = !f;
    for (int b = 0; f && b < BLOCKS; b++) wrong += fwrite(q[b], sizeof(double), size[b], f) != size[b];
    if (f) wrong += fwrite(dy, sizeof(double), T * D, f) != T * D || fwrite(y, sizeof(double), T * D, f) != T * D;
    for (int b = 0; f && b < BLOCKS; b++) wrong += fwrite(g[b], sizeof(double), size[b], f) != size[b];
    if (f) wrong += fclose(f) != 0;
    if (wrong) fprintf(stderr, "bench_layer: cannot write %s\n", path);
    return wrong == 0;
}

int main(int argc, char **argv)
{
    const long repeats = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    if (repeats < 1 || repeats > 10000) {
        fprintf(stderr, "usage: bench_layer REPEATS [FILE]\n");
        return 2;
    }
    static const double scale[BLOCKS] = {1, 0.0625, 0.0625, 0.0625, 0.0625, 0.03125, 0.03125};
    double *q[BLOCKS], *g[BLOCKS], *dy = room(T * D, sizeof *dy);
    uint64_t seed = 2024;
    for (int b = 0; b < BLOCKS; b++) {
        q[b] = room(size[b], sizeof(double));
        g[b] = room(size[b], sizeof(double));
        draw(&seed, scale[b], size[b], q[b]);
    }
    draw(&seed, 1, T * D, dy);
    const smoe_layer_in in = {q[0], q[1], q[2], q[3], q[4], q[5], q[6]};
    const smoe_layer_grad grad = {g[0], g[1], g[2], g[3], g[4], g[5], g[6]};
    const smoe_layer_out out = {room(T * D, sizeof(double)), room(T * N, sizeof(double)), room(A, sizeof(size_t)),
                                room(A, sizeof(double)), room(T, sizeof(double))};
    const smoe_layer_kept kept = {room(N + 1, sizeof(size_t)), room(A, sizeof(size_t)),     room(A, sizeof(size_t)),
                                  room(T * N, sizeof(double)), room(A * D, sizeof(double)), room(A * D, sizeof(double)),
                                  room(A * H, sizeof(double)), room(A * H, sizeof(double))};
    double *work = room(smoe_layer_vjp_work(&shape), sizeof *work), *seconds = room((size_t)repeats, sizeof *seconds);
    for (long i = -1; i < repeats; i++) { /* the run -1 warms up and is not counted */
        const double start = now();
        if (smoe_layer(&shape, &in, &out, &kept) != SMOE_OK ||
            smoe_layer_vjp(&shape, &in, &out, &kept, dy, NULL, NULL, &grad, work) != SMOE_OK) {
            fprintf(stderr, "bench_layer: the layer fails\n");
            return 1;
        }
        if (i >= 0) seconds[i] = now() - start;
    }
    qsort(seconds, (size_t)repeats, sizeof *seconds, by_value);
    printf("%.6f\n", seconds[repeats / 2]);
    return argc < 3 || write_all(argv[2], q, dy, out.y, g) ? 0 : 3;
}
