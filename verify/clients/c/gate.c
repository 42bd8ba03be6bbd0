/* A client in plain C: gate.weights, forward and backward (G.2, G.3, G.4).
 *
 *   cc -O2 -o gate verify/clients/c/gate.c -lm
 *   smoeref check gate.weights --exec './gate {prompt} {answer}'
 */
#include <math.h>

#include "smoeref_client.h"

/* The K largest of N, the largest first, the lower index first among equals. */
static void choose(size_t N, size_t K, const double *r, int64_t *index)
{
    for (size_t j = 0; j < K; j++) {
        index[j] = -1;
        for (size_t i = 0; i < N; i++) {
            bool taken = false;
            for (size_t b = 0; b < j; b++) taken = taken || index[b] == (int64_t)i;
            if (!taken && (index[j] < 0 || r[i] > r[index[j]])) index[j] = (int64_t)i;
        }
    }
}

/* One token.  all: the softmax is over all N, otherwise over the K that were chosen. */
static void token(size_t N, size_t K, bool all, const double *r, const double *dweight, int64_t *index, double *weight,
                  double *dr)
{
    double sum = 0, inner = 0;
    choose(N, K, r, index);
    for (size_t i = 0; i < (all ? N : K); i++) sum += exp(r[all ? i : (size_t)index[i]] - r[index[0]]);
    for (size_t j = 0; j < K; j++) {
        weight[j] = exp(r[index[j]] - r[index[0]]) / sum;
        inner += weight[j] * dweight[j];
    }
    for (size_t i = 0; i < N; i++) dr[i] = all ? -exp(r[i] - r[index[0]]) / sum * inner : 0;
    for (size_t j = 0; j < K; j++) dr[index[j]] = weight[j] * (dweight[j] - inner);
}

int main(int argc, char **argv)
{
    sr_file prompt, answer = {0};
    if (argc != 3) return fprintf(stderr, "usage: %s PROMPT ANSWER\n", argv[0]), 2;
    if (!sr_read(argv[1], &prompt)) return 1;
    if (strcmp(prompt.op, "gate.weights") != 0) return fprintf(stderr, "%s is not computed here\n", prompt.op), 1;
    const sr_tensor *r = sr_find(&prompt, "r"), *dweight = sr_find(&prompt, "d_weight");
    const size_t T = r->dim[0], N = r->dim[1], K = (size_t)sr_int(&prompt, "k");
    const bool all = sr_is(&prompt, "order", "softmax-topk");
    int64_t *index = sr_add_i64(&answer, "index", 2, (size_t[]){T, K})->i64;
    double *weight = sr_add(&answer, "weight", 2, (size_t[]){T, K})->f64;
    double *dr = sr_add(&answer, "d_r", 2, (size_t[]){T, N})->f64;
    for (size_t t = 0; t < T; t++)
        token(N, K, all, r->f64 + t * N, dweight->f64 + t * K, index + t * K, weight + t * K, dr + t * N);
    const bool written = sr_write(argv[2], &answer);
    sr_clear(&prompt);
    sr_clear(&answer);
    return written ? 0 : 1;
}
