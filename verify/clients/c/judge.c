/* A test in C that judges a function of its own: softmax over the K largest logits (G.2), forward and backward.
 *
 *   cc -o judge verify/clients/c/judge.c $(pkg-config --cflags --libs smoeverify) -lm && ./judge f32
 *
 * With a second argument it makes a mistake, and the report says which.
 */
#include <math.h>
#include <stdio.h>

#include <smoeref/smoe_verify.h>

/* r [N] -> index [K], the lower index first among equals, and weight [K] */
static void gate(size_t N, size_t K, const float *r, int64_t *index, float *weight)
{
    float sum = 0;
    for (size_t j = 0; j < K; j++) {
        index[j] = -1;
        for (size_t i = 0; i < N; i++) {
            int taken = 0;
            for (size_t b = 0; b < j; b++) taken |= index[b] == (int64_t)i;
            if (!taken && (index[j] < 0 || r[i] > r[index[j]])) index[j] = (int64_t)i;
        }
        sum += weight[j] = expf(r[index[j]] - r[index[0]]);
    }
    for (size_t j = 0; j < K; j++) weight[j] /= sum;
}

/* dr_i = w (dw - <dw, w>) for the chosen, 0 for the rest */
static void gate_backward(size_t N, size_t K, const int64_t *index, const float *weight, const float *dweight,
                          float *dr)
{
    float inner = 0;
    for (size_t i = 0; i < N; i++) dr[i] = 0;
    for (size_t j = 0; j < K; j++) inner += weight[j] * dweight[j];
    for (size_t j = 0; j < K; j++) dr[index[j]] = weight[j] * (dweight[j] - inner);
}

enum { MOST = 64 };

static int one_case(smoe_verify_case *c, void *context)
{
    const size_t T = smoe_verify_dim(c, 'T'), N = smoe_verify_dim(c, 'N'), K = smoe_verify_dim(c, 'K');
    const double *r = smoe_verify_input(c, "r"), *dweight = smoe_verify_cotangent(c, "weight");
    int64_t *index = smoe_verify_output_i64(c, "index");
    double *weight = smoe_verify_output(c, "weight"), *dr = smoe_verify_gradient(c, "r");
    const float factor = *(const float *)context;
    if (N > MOST) return 1;
    for (size_t t = 0; t < T; t++) {
        float row[MOST], w[MOST], dw[MOST], d[MOST];
        for (size_t i = 0; i < N; i++) row[i] = (float)r[t * N + i];
        for (size_t j = 0; j < K; j++) dw[j] = (float)dweight[t * K + j];
        gate(N, K, row, index + t * K, w);
        gate_backward(N, K, index + t * K, w, dw, d);
        for (size_t j = 0; j < K; j++) weight[t * K + j] = w[j];
        for (size_t i = 0; i < N; i++) dr[t * N + i] = factor * d[i];
    }
    return 0;
}

int main(int argc, char **argv)
{
    float factor = argc > 2 ? 0.5F : 1;
    smoe_verify_options o = smoe_verify_defaults();
    if (argc > 1) o.precision = argv[1];
    o.where = "order=topk-softmax|softmax-topk-renorm"; /* which are the same mathematics */
    o.quiet = 1;
    return smoe_verify_judge("gate.weights", one_case, &factor, &o);
}
