/* The time of a whole training step (C.14), forward and all gradients, on one thread.
 *
 *   bench_step KIND CHUNK REPEATS [FILE]    prints the median of REPEATS runs in seconds, the largest memory of the process
 *                                           and the size of inputs, outputs and gradients in MiB; with FILE, writes inputs,
 *                                           loss and gradients there as raw doubles, for bench_step.py to compare
 *
 *   KIND   v2      version 2 with competition: softplus of T N d outputs
 *          v1      version 1 with competition: norms, so that matrix products dominate
 *          router  version 2 without competition
 *
 * T = 1024, d = 256, h = 1024, N = 8, K = 2, ReLU.
 * CHUNK  tokens whose activations a competition holds at a time; 0: all
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "compete.h"

enum { T = 1024, D = 256, H = 1024, N = 8, K = 2, A = T * K };
static const smoe_layer_shape shape = {SMOE_TOPK_SOFTMAX, SMOE_RELU, T, D, H, N, K};

enum { BLOCKS = 7 };
static const size_t size[BLOCKS] = {T * D, N * D, N, N * H * D, N * H, N * D * H, N * D}; /* x wr br w1 b1 w2 b2 */

static double *doubles(size_t n) { return room(n, sizeof(double)); }

static size_t *indices(size_t n) { return room(n, sizeof(size_t)); }

/* The most that this process has had in memory, in MiB (getrusage would count what its parent had when it forked). */
static double largest_memory(void)
{
    char line[256];
    double kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "VmHWM:", 6) == 0) kib = strtod(line + 6, NULL);
    if (f) fclose(f);
    return kib / 1024;
}

static smoe_compete_kept competing_room(size_t chunk)
{
    const size_t C = chunk > 0 && chunk < T ? chunk : T;
    return (smoe_compete_kept){
        .o = doubles(C * N * D),
        .a = doubles(N * C * H),
        .u = doubles(N * C * H),
        .e = doubles(C * D),
        .response = doubles(T * N),
        .p = doubles(T * N),
        .q = doubles(T * N),
        .qs = doubles(T * N),
        .f = doubles(N),
        .P = doubles(N),
        .won = doubles(C * K * D),
        .unit = doubles(C * K * D),
        .norm = doubles(C * K),
        .value = doubles(4 * N),
        .count = indices(N),
    };
}

static smoe_router_kept router_room(void)
{
    return (smoe_router_kept){
        .layer = {.offset = indices(N + 1),
                  .slot = indices(A),
                  .place = indices(A),
                  .p = doubles(T * N),
                  .xs = doubles(A * D),
                  .o = doubles(A * D),
                  .a = doubles(A * H),
                  .u = doubles(A * H)},
        .p = doubles(T * N),
        .f = doubles(N),
        .P = doubles(N),
        .lse = doubles(T),
        .count = indices(N),
    };
}

int main(int argc, char **argv)
{
    const char *kind = argc > 1 ? argv[1] : "";
    const long chunk = argc > 2 ? strtol(argv[2], NULL, 10) : -1, repeats = argc > 3 ? strtol(argv[3], NULL, 10) : 0;
    const int competes = strcmp(kind, "router") != 0;
    if (chunk < 0 || repeats < 1 || repeats > 10000 ||
        (competes && strcmp(kind, "v1") != 0 && strcmp(kind, "v2") != 0)) {
        fprintf(stderr, "usage: bench_step v2|v1|router CHUNK REPEATS [FILE]\n");
        return 2;
    }
    static const double scale[BLOCKS] = {1, 0.0625, 0.0625, 0.0625, 0.0625, 0.03125, 0.03125};
    const int first = strcmp(kind, "v1") == 0;
    const smoe_compete_options opt = {
        .count = SMOE_COUNT_ALL,
        .target = SMOE_TARGET_DETACHED,
        .diversity = SMOE_DIVERSITY_PAIRS,
        .theta = 0.125,
        .c_distill = 0.01,
        .c_diversity = 0.01,
        .c_balance = 0.01,
        .c_zloss = 0.001,
        .c_task = 1,
        .chunk = (size_t)chunk,
        .version = first ? SMOE_VERSION_1 : SMOE_VERSION_2,
        .response = first ? SMOE_RESPONSE_NORM : SMOE_RESPONSE_SOFTPLUS,
        .weights = first ? SMOE_WEIGHTS_SOFTMAX : SMOE_WEIGHTS_RATIO,
    };
    double *q[BLOCKS], *g[BLOCKS], *target = doubles(T * D), *dy = doubles(T * D), *dweight = doubles(A);
    uint64_t seed = 2026;
    for (int b = 0; b < BLOCKS; b++) {
        q[b] = doubles(size[b]);
        g[b] = doubles(size[b]);
        draw(&seed, scale[b], size[b], q[b]);
    }
    draw(&seed, 1, T * D, target);
    const smoe_layer_in in = {q[0], q[1], q[2], q[3], q[4], q[5], q[6]};
    const smoe_layer_grad grad = {g[0], g[1], g[2], g[3], g[4], g[5], g[6]};
    double loss, task, distill, diversity, balance, zloss;
    const smoe_compete_out out = {doubles(T * D), doubles(T * N), doubles(T * N), indices(A), doubles(A), doubles(T),
                                  &loss,          &distill,       &diversity,     &balance,   &zloss};
    const smoe_compete_kept kept = competing_room((size_t)chunk);
    const smoe_router_kept router = router_room();
    const smoe_compete_cot cot = {dy, dweight, 1, 0, 0, 0, 0}; /* the gradient of the total loss */
    double *work =
        doubles(T * D + (competes ? smoe_compete_step_vjp_work(&shape, &opt) : smoe_router_step_vjp_work(&shape)));
    double *seconds = doubles((size_t)repeats);
    for (long i = -1; i < repeats; i++) { /* the run -1 warms up and is not counted */
        const double start = now();
        smoe_status status = competes ? smoe_train_compete(&shape, &opt, &in, target, &out, &task, &kept)
                                      : smoe_train_router(&shape, &opt, &in, target, &out, &task, &router);
        if (status == SMOE_OK)
            status = competes ? smoe_train_compete_vjp(&shape, &opt, &in, target, &out, &kept, &cot, 0, &grad, work)
                              : smoe_train_router_vjp(&shape, &opt, &in, target, &out, &router, &cot, 0, &grad, work);
        if (status != SMOE_OK) {
            fprintf(stderr, "bench_step: the step fails: %s\n", smoe_strerror(status));
            return 1;
        }
        if (i >= 0) seconds[i] = now() - start;
    }
    qsort(seconds, (size_t)repeats, sizeof *seconds, by_value);
    size_t given = 3 * T * D + 2 * T * N + 3 * A + T; /* target, y, cotangent; r, s; index, weight, cotangent; margin */
    for (int b = 0; b < BLOCKS; b++) given += 2 * size[b];
    printf("%.6f %.1f %.1f\n", seconds[repeats / 2], largest_memory(), (double)given * sizeof(double) / 0x1p20);
    FILE *f = argc > 4 ? fopen(argv[4], "wb") : NULL;
    int wrong = argc > 4 && !f;
    for (int b = 0; f && b < BLOCKS; b++) wrong |= fwrite(q[b], sizeof(double), size[b], f) != size[b];
    if (f) wrong |= fwrite(target, sizeof(double), T * D, f) != T * D || fwrite(&loss, sizeof loss, 1, f) != 1;
    for (int b = 0; f && b < BLOCKS; b++) wrong |= fwrite(g[b], sizeof(double), size[b], f) != size[b];
    if (f) wrong |= fclose(f) != 0;
    if (wrong) fprintf(stderr, "bench_step: cannot write %s\n", argv[4]);
    return wrong ? 3 : 0;
}
