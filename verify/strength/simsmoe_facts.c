/* The tables of spec/07-simsmoe.md, as they stand there:  make facts
 *
 * Two experts of width 16 with 32 GELU units share 64 tokens.  Draws are those of spec/operations.md (stream
 * "facts/..."), so that everybody gets the same tables.  tests/facts_test.sh compares.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "op.h"
#include "simsmoe.h"

enum { n = 64, d = 16, h = 32, g = 32, p = 8 };

typedef struct {
    double x[n * d], w1[2 * h * d], b1[2 * h], w2[2 * d * h], b2[2 * d], wh[g * d], bh[g], wp[p * g], bp[p];
} numbers;

typedef struct {
    smoe_simsmoe_shape shape;
    smoe_simsmoe_options opt;
    numbers v, dv; /* the parameters and their gradient */
    size_t index[2 * n], row[n], active[4];
    double cka[4], loss, *work;
} experiment;

static const size_t pair[4] = {0, 1, 0, 0};

static void must(smoe_status status)
{
    if (status == SMOE_OK) return;
    fprintf(stderr, "simsmoe_facts: %s\n", smoe_strerror(status));
    exit(1);
}

static void draw(op_rng *r, double scale, size_t count, double *x)
{
    for (size_t k = 0; k < count; k++) x[k] = scale * op_normal(r);
}

/* Expert 1 is expert 0 and `apart` times another one. */
static experiment *begin(smoe_head head, smoe_kernel kernel, double apart)
{
    op_rng *r = op_rng_new(1, "facts/simsmoe");
    experiment *e = op_room(1, sizeof *e);
    e->shape = (smoe_simsmoe_shape){{SMOE_TOPK_SOFTMAX, SMOE_GELU, n, d, h, 2, 2}, head, g, p};
    e->opt = (smoe_simsmoe_options){.similarity = {.kernel = kernel, .sigma = 0.8}, .threshold = -1};
    e->work = op_room(smoe_similarity_loss_work(&e->shape, &e->opt), sizeof(double));
    draw(r, 1, n * d, e->v.x);
    draw(r, 0.25, 2 * h * d, e->v.w1);
    draw(r, 0.1, 2 * h, e->v.b1);
    draw(r, 0.25, 2 * d * h, e->v.w2);
    draw(r, 0.25, g * d, e->v.wh);
    draw(r, 0.2, p * g, e->v.wp);
    for (size_t k = 0; k < h * d; k++) e->v.w1[h * d + k] = e->v.w1[k] + apart * e->v.w1[h * d + k];
    for (size_t k = 0; k < d * h; k++) e->v.w2[d * h + k] = e->v.w2[k] + apart * e->v.w2[d * h + k];
    for (size_t k = 0; k < h; k++) e->v.b1[h + k] = e->v.b1[k];
    for (size_t t = 0; t < n; t++) e->index[2 * t + 1] = 1;
    op_rng_free(r);
    return e;
}

static void end(experiment *e)
{
    free(e->work);
    free(e);
}

static smoe_simsmoe_in inputs(const experiment *e)
{
    const numbers *v = &e->v;
    return (smoe_simsmoe_in){v->x, v->w1, v->b1, v->w2, v->b2, v->wh, v->bh, v->wp, v->bp};
}

static void forward(experiment *e)
{
    const smoe_simsmoe_in in = inputs(e);
    must(smoe_similarity_loss(&e->shape, &e->opt, &in, e->index, pair, e->cka, e->active, &e->loss, e->row, e->work));
}

static void backward(experiment *e)
{
    const smoe_simsmoe_in in = inputs(e);
    numbers *v = &e->dv;
    const smoe_simsmoe_grad grad = {v->x, v->w1, v->b1, v->w2, v->b2, v->wh, v->bh, v->wp, v->bp, NULL, NULL};
    must(smoe_similarity_loss_vjp(&e->shape, &e->opt, &in, e->index, pair, e->active, 1, &grad, e->row, e->work));
}

static double largest(size_t count, const double *x)
{
    double most = 0;
    for (size_t k = 0; k < count; k++) most = fmax(most, fabs(x[k]));
    return most;
}

/* Linear CKA of the experts' outputs themselves: no head. */
static double own_cka(const experiment *e)
{
    static double a[n * h], u[n * h], o[2][n * d];
    const smoe_similarity linear = {.kernel = SMOE_KERNEL_LINEAR};
    double value, *work = op_room(smoe_cka_work(&linear, n, d, d), sizeof *work);
    for (size_t i = 0; i < 2; i++)
        must(smoe_expert_gelu(n, d, h, e->v.x, e->v.w1 + i * h * d, e->v.b1 + i * h, e->v.w2 + i * d * h,
                              e->v.b2 + i * d, a, u, o[i]));
    must(smoe_cka(&linear, n, d, o[0], d, o[1], work, &value));
    free(work);
    return value;
}

static void print_number(double v)
{
    if (v == 0)
        printf(" 0 |");
    else
        printf(" %.1e |", v);
}

static void collapse(const char *share)
{
    experiment *e = begin(SMOE_HEAD_MLP, SMOE_KERNEL_LINEAR, atof(share));
    forward(e);
    backward(e);
    printf("| %s |", share);
    print_number(1 - e->loss);
    print_number(largest(2 * d * h, e->dv.w2));
    print_number(largest(2 * h * d, e->dv.w1));
    print_number(largest(p * g, e->dv.wp));
    printf("\n");
    end(e);
}

/* Gradient descent in the head's parameters, with nothing else moving. */
static void head_alone(smoe_head head, smoe_kernel kernel)
{
    experiment *e = begin(head, kernel, 0.5);
    printf("| %s | %s |", head == SMOE_HEAD_MLP ? "mlp, $g = 32$" : "linear",
           kernel == SMOE_KERNEL_RBF ? "RBF, $\\sigma = 0.8$" : "linear");
    for (size_t step = 0; step <= 100; step++) {
        forward(e);
        if (step == 0 || step == 10 || step == 100) printf(" %.4f |", e->loss);
        backward(e);
        for (size_t k = 0; k < g * d; k++) e->v.wh[k] -= 0.5 * e->dv.wh[k];
        for (size_t k = 0; k < g; k++) e->v.bh[k] -= 0.5 * e->dv.bh[k];
        for (size_t k = 0; k < p * g; k++) e->v.wp[k] -= 0.5 * e->dv.wp[k];
        for (size_t k = 0; k < p; k++) e->v.bp[k] -= 0.5 * e->dv.bp[k];
    }
    printf(" %.4f |\n", own_cka(e));
    end(e);
}

/* Steps of even routing, one token for each of the 120 pairs of 16 experts, up to the first selection. */
static size_t waiting(smoe_pair_unit unit, smoe_compare compare)
{
    enum { N = 16, T = 120 };
    size_t index[2 * T], shared[N * N], selected[N * N] = {0}, t = 0, step = 0;
    double counter[N * N] = {0}, next[N * N];
    for (size_t i = 0; i < N; i++)
        for (size_t j = i + 1; j < N; j++, t++) {
            index[2 * t] = i;
            index[2 * t + 1] = j;
        }
    must(smoe_shared_tokens(T, N, 2, index, shared));
    for (; selected[1] == 0; step++) {
        must(smoe_pair_counters(unit, compare, SMOE_ABSENT_KEEP, 16, T, N, shared, counter, next, selected));
        memcpy(counter, next, sizeof next);
    }
    return step;
}

int main(void)
{
    printf("Experts that are copies, and copies with a share of another: CKA and the largest elements of its "
           "gradient\n\n");
    printf("| share | $1 - \\kappa$ | $\\max\\lvert dW_2\\rvert$ | $\\max\\lvert dW_1\\rvert$ | "
           "$\\max\\lvert dW_p\\rvert$ |\n|---|---|---|---|---|\n");
    static const char *const share[] = {"0", "1e-4", "1e-2", "0.5"};
    for (size_t k = 0; k < sizeof share / sizeof *share; k++) collapse(share[k]);
    printf("\nGradient descent on the head alone: the loss after 0, 10, 100 steps; the experts' own linear CKA\n\n");
    printf("| head | kernel | 0 | 10 | 100 | own |\n|---|---|---|---|---|---|\n");
    head_alone(SMOE_HEAD_MLP, SMOE_KERNEL_LINEAR);
    head_alone(SMOE_HEAD_MLP, SMOE_KERNEL_RBF);
    head_alone(SMOE_HEAD_LINEAR, SMOE_KERNEL_LINEAR);
    head_alone(SMOE_HEAD_LINEAR, SMOE_KERNEL_RBF);
    printf("\nEven routing, N = 16, K = 2, f = 16, one token a pair: the step of the first selection\n\n");
    printf("| unit | `above` | `atleast` |\n|---|---|---|\n");
    printf("| tokens | %zu | %zu |\n", waiting(SMOE_UNIT_TOKENS, SMOE_ABOVE), waiting(SMOE_UNIT_TOKENS, SMOE_AT_LEAST));
    printf("| fraction | %zu | %zu |\n", waiting(SMOE_UNIT_FRACTION, SMOE_ABOVE),
           waiting(SMOE_UNIT_FRACTION, SMOE_AT_LEAST));
    return 0;
}
