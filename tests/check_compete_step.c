/* Competition, spec/05-compete.md C.9 to C.15: version 1's distillation, schedules and whole training steps. */
#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "compete.h"
#include "slopes.h"

/* Within `ulps` units of the last place of `want`; false for NaN. */
static bool near(double got, double want, double ulps) { return fabs(got - want) <= ulps * 0x1p-52 * fabs(want); }

#define SAME(got, want, n, what)                                                                                       \
    for (size_t same_k = 0; same_k < (n); same_k++)                                                                    \
    ck_assert_msg((got)[same_k] == (want)[same_k], "%s[%zu] is %a, expected %a", what, same_k, (got)[same_k],          \
                  (want)[same_k])
#define NEAR(got, want, n, ulps, what)                                                                                 \
    for (size_t near_k = 0; near_k < (n); near_k++)                                                                    \
    ck_assert_msg(near((got)[near_k], (want)[near_k], ulps), "%s[%zu] is %.17g, expected %.17g", what, near_k,         \
                  (got)[near_k], (want)[near_k])
#define COUNTS(got, want, n, what)                                                                                     \
    for (size_t count_k = 0; count_k < (n); count_k++)                                                                 \
    ck_assert_msg((got)[count_k] == (want)[count_k], "%s[%zu] is %zu, expected %zu", what, count_k, (got)[count_k],    \
                  (size_t)(want)[count_k])

#define OK(call)         ck_assert_int_eq(call, SMOE_OK)
#define IS(status, call) ck_assert_int_eq(call, status)

/* Outputs are filled with this before a call that must write nothing. */
static const double poison = -0x1.234p+567;

static void poison_all(size_t n, double *x)
{
    for (size_t k = 0; k < n; k++) x[k] = poison;
}

static bool untouched(size_t n, const double *x)
{
    for (size_t k = 0; k < n; k++)
        if (x[k] != poison) return false;
    return true;
}

static double *room(size_t n) { return calloc(n + 1, sizeof(double)); }

static double *drawn(uint64_t *seed, double scale, size_t n)
{
    double *x = room(n);
    slopes_fill(seed, scale, n, x);
    return x;
}

static const double ln2 = 0x1.62e42fefa39efp-1, ln3 = 0x1.193ea7aad030bp+0;

/* --- hand-computed values --- */

/* sigmoid(0) = 1/2 and sigmoid(ln 3) = 3/4: weights (3/4, 1/2)/(5/4) = (3/5, 2/5).  For dweight (1, 0) the mean is
 * 3/5, the gradient of v (2/5, -3/5)/(5/4) = (8/25, -12/25), times sigmoid' = 3/16 and 1/4: (3/50, -3/25). */
/* evidence hand: C.2 */
START_TEST(squashed_weights_by_hand)
{
    const double value[] = {ln3, 0}, dweight[] = {1, 0};
    double weight[2], dvalue[2], v[2];
    OK(smoe_compete_weights_sigmoid(2, value, weight, v));
    NEAR(v, ((double[]){0.75, 0.5}), 2, 2, "C.2 sigmoid");
    NEAR(weight, ((double[]){0.6, 0.4}), 2, 4, "C.2 weight");
    OK(smoe_compete_weights_sigmoid_vjp(2, value, weight, dweight, dvalue, v));
    NEAR(dvalue, ((double[]){0.06, -0.12}), 2, 8, "C.2 dvalue");
}
END_TEST

/* p = (1/2, 1/2), q = (1, 0), the winner is expert 0: (1/8) (1/4) = 1/32; dp = (2/8)(-1/2) = -1/8 for the winner
 * alone, dr = 1/2 (-1/8 + 1/16) = -1/32 and its opposite.  q is saturated, so its side has nothing. */
/* evidence hand: C.5 */
START_TEST(winners_term_by_hand)
{
    const double p[] = {0.5, 0.5}, q[] = {1, 0}, half[] = {0.5, 0.5};
    const size_t index[] = {0};
    double loss, dr[2], ds[2], row[2];
    OK(smoe_distill_winners_loss(1, 2, 1, 0.125, p, q, index, &loss));
    ck_assert_msg(loss == 0x1p-5, "C.5: winners' term %a", loss);
    OK(smoe_distill_winners_vjp(1, 2, 1, 0.125, p, q, index, 1, dr, row));
    SAME(dr, ((double[]){-0x1p-5, 0x1p-5}), 2, "C.5 dr");
    OK(smoe_distill_winners_target_vjp(1, 2, 1, 0.125, p, q, index, 1, ds, row));
    SAME(ds, ((double[]){0, 0}), 2, "C.5 ds, saturated");
    OK(smoe_distill_winners_target_vjp(1, 2, 1, 0.125, q, half, index, 1, ds, row)); /* p = (1, 0), q = (1/2, 1/2) */
    SAME(ds, ((double[]){-0x1p-5, 0x1p-5}), 2, "C.5 ds");
}
END_TEST

/* Uniform p over four, q = (1/2, 1/2, 0, 0) by a tie: squares 4/16 over 4; dp = (2/4)(-1/4) = -1/8 and +1/8, mean 0,
 * dr = +-1/32; the target's side: dq = 1/8 twice, no difference: 0.  kl: 2 (1/2) ln 2; dr = p - q = +-1/4; l equal:
 * ds 0. kl-clamped: 2 (1/4) ln (1/2) + 2 (1/4) ln (250000); dq equal: ds 0. */
/* evidence hand: C.9 */
START_TEST(version_1_by_hand)
{
    enum { N = 4, K = 2 };
    const double r[N] = {0}, s[] = {7, 7, -1, -1}, zero[N] = {0};
    const size_t index[] = {0, 1};
    double p[N], q[N], loss, g[N], work[4 * N];
    OK(smoe_distill_v1(1, N, K, r, s, index, p, q, &loss, work));
    SAME(q, ((double[]){0.5, 0.5, 0, 0}), N, "C.9 target");
    ck_assert_msg(loss == 0.0625, "C.9: %a", loss);
    OK(smoe_distill_v1_vjp(1, N, p, q, 1, g, work));
    SAME(g, ((double[]){-0x1p-5, -0x1p-5, 0x1p-5, 0x1p-5}), N, "C.9 dr");
    OK(smoe_distill_v1_target_vjp(1, N, K, p, q, index, 1, g, work));
    SAME(g, zero, N, "C.9 ds");
    OK(smoe_distill_kl(1, N, K, r, s, index, p, q, &loss, work));
    ck_assert_msg(near(loss, ln2, 2), "C.9 kl: %.17g", loss);
    OK(smoe_distill_kl_vjp(1, N, p, q, 1, g));
    SAME(g, ((double[]){-0.25, -0.25, 0.25, 0.25}), N, "C.9 kl dr");
    OK(smoe_distill_kl_target_vjp(1, N, K, r, s, q, index, 1, g, work));
    SAME(g, zero, N, "C.9 kl ds");
    OK(smoe_distill_kl_clamped(1, N, K, r, s, index, p, q, &loss, work));
    ck_assert_msg(near(loss, (log(250000) - ln2) / 2, 4), "C.9 kl-clamped: %.17g", loss);
    OK(smoe_distill_kl_clamped_vjp(1, N, r, p, q, 1, g, work));
    const double l = (log(250000) + ln2) / 2 / 4; /* p (l_i - mean), half the distance of the two values of l */
    NEAR(g, ((double[]){-l, -l, l, l}), N, 8, "C.9 kl-clamped dr");
    OK(smoe_distill_kl_clamped_target_vjp(1, N, K, p, q, index, 1, g, work));
    SAME(g, zero, N, "C.9 kl-clamped ds");
}
END_TEST

/* The spec's example: s = (ln 3, 0, -5), r = (ln 2, 0, 0): q = (3/4, 1/4, 0), p = (1/2, 1/4, 1/4). */
/* evidence hand: C.9 */
START_TEST(version_1_spec_example)
{
    enum { N = 3, K = 2 };
    const double r[] = {ln2, 0, 0}, s[] = {ln3, 0, -5}, ln15 = ln3 - ln2;
    const size_t index[] = {0, 1};
    double p[N], q[N], loss, g[N], work[4 * N];
    OK(smoe_distill_v1(1, N, K, r, s, index, p, q, &loss, work));
    NEAR(q, ((double[]){0.75, 0.25, 0}), N, 4, "C.9 target");
    ck_assert_msg(near(loss, 1.0 / 24, 16), "C.9: %.17g", loss);
    OK(smoe_distill_v1_vjp(1, N, p, q, 1, g, work));
    NEAR(g, ((double[]){-1.0 / 16, 1.0 / 96, 5.0 / 96}), N, 32, "C.9 dr");
    OK(smoe_distill_v1_target_vjp(1, N, K, p, q, index, 1, g, work));
    NEAR(g, ((double[]){1.0 / 32, -1.0 / 32, 0}), N, 32, "C.9 ds");
    OK(smoe_distill_kl(1, N, K, r, s, index, p, q, &loss, work));
    ck_assert_msg(near(loss, 0.75 * ln15, 16), "C.9 kl: %.17g", loss);
    OK(smoe_distill_kl_target_vjp(1, N, K, r, s, q, index, 1, g, work));
    NEAR(g, ((double[]){0.1875 * ln15, -0.1875 * ln15, 0}), N, 16, "C.9 kl ds");
    OK(smoe_distill_kl_clamped(1, N, K, r, s, index, p, q, &loss, work));
    ck_assert_msg(near(loss, 0.25 * log(250000) - 0.5 * ln15, 16), "C.9 kl-clamped: %.17g", loss);
    OK(smoe_distill_kl_clamped_target_vjp(1, N, K, p, q, index, 1, g, work));
    NEAR(g, ((double[]){1.0 / 16, -1.0 / 16, 0}), N, 32, "C.9 kl-clamped ds");
}
END_TEST

/* (800, 0) twice and (0, 800) twice: the batch is balanced, each half has collapsed.  Three ties and (0, 64): 7/8. */
/* evidence hand: C.10 */
START_TEST(balance_by_hand)
{
    const double s[] = {800, 0, 800, 0, 0, 800, 0, 800}, sure[] = {0, 0, 0, 0, 0, 0, 0, 64};
    const size_t one[] = {0, 0, 1, 1}, two[] = {0, 1, 0, 1, 1, 0, 1, 0}, ties[] = {0, 0, 0, 1};
    double f[4], q[8], P[4], loss, ds[8], work[6];
    size_t count[2];
    OK(smoe_compete_balance(SMOE_COUNT_ALL, 1, 4, 2, 1, 4, s, one, count, f, q, P, &loss));
    ck_assert_msg(loss == 1, "C.10, batch: %a", loss);
    OK(smoe_compete_balance(SMOE_COUNT_ALL, 2, 2, 2, 1, 2, s, one, count, f, q, P, &loss));
    ck_assert_msg(loss == 2, "C.10, sequences: %a", loss);
    SAME(f, ((double[]){1, 0, 0, 1}), 4, "C.10 f");
    OK(smoe_compete_balance(SMOE_COUNT_ALL, 2, 2, 2, 2, 4, s, two, count, f, q, P, &loss));
    ck_assert_msg(loss == 1, "C.10, K = 2: %a", loss);
    OK(smoe_compete_balance(SMOE_COUNT_ALL, 2, 2, 2, 2, 2, s, two, count, f, q, P, &loss));
    ck_assert_msg(loss == 2, "C.10, K = 2 over the tokens: %a", loss);
    OK(smoe_compete_balance(SMOE_COUNT_FIRST, 2, 2, 2, 2, 2, s, two, count, f, q, P, &loss));
    ck_assert_msg(loss == 2, "C.10, first choices: %a", loss);
    OK(smoe_compete_balance(SMOE_COUNT_ALL, 1, 4, 2, 1, 4, sure, ties, count, f, q, P, &loss));
    ck_assert_msg(loss == 0.875, "C.10: %a, not 7/8", loss);
    /* ds = (2/4) q (f - <q, f>): for a tie (1/2)(1/2)(3/4 - 1/2) = 1/16 and its opposite */
    OK(smoe_compete_balance_vjp(1, 4, 2, f, q, 1, ds, work));
    SAME(ds, ((double[]){0.0625, -0.0625}), 2, "C.10 ds");
}
END_TEST

/* (1 - 1/4) 5 + (1/4) 9 = 6; ds = 4 gives 3 and 1. */
/* evidence hand: C.11 */
START_TEST(mix_by_hand)
{
    const double response[] = {5}, r[] = {9}, ds[] = {4};
    double s, dresponse, dr;
    OK(smoe_mix_scores(1, 0.25, response, r, &s));
    OK(smoe_mix_scores_vjp(1, 0.25, ds, &dresponse, &dr));
    ck_assert_msg(s == 6 && dresponse == 3 && dr == 1, "C.11: %g %g %g", s, dresponse, dr);
}
END_TEST

/* evidence hand: C.12 */
START_TEST(lambda_by_hand)
{
    const double t[] = {0, 3, 8, 15, 48}, u[] = {0.45, 0.45, 0.45, 0.45, 0};
    double lambda[5];
    size_t compete[5];
    OK(smoe_compete_lambda(5, t, u, lambda, compete));
    SAME(lambda, ((double[]){2.0 / 3, 0.5, 0.4, 1.0 / 3, 2.0 / 9}), 5, "C.12 lambda");
    COUNTS(compete, ((size_t[]){1, 1, 0, 0, 1}), 5, "C.12 compete");
    OK(smoe_compete_lambda(1, t + 1, (double[]){0.5}, lambda, compete));
    ck_assert_msg(compete[0] == 0, "C.12: a coin equal to the probability is not below it");
}
END_TEST

enum { H = 0, T_ = 1 }; /* coins for a rate of 1/2 */
static const double face[] = {0.25, 0.75};

/* The vector of the second CompeteSMoE code's collision: loads 2, 0, 0, cap 2, coins H H T. */
/* evidence hand: C.13 */
START_TEST(collision_by_hand)
{
    const double u[] = {face[H], face[H], face[T_]};
    size_t load[] = {2, 0, 0}, compete[3], lost;
    OK(smoe_schedule_layer_mended(3, 2, 0.5, u, load, compete, &lost));
    COUNTS(compete, ((size_t[]){0, 1, 1}), 3, "C.13, mended: compete");
    COUNTS(load, ((size_t[]){2, 1, 1}), 3, "C.13, mended: load");
    ck_assert_msg(lost == 0, "C.13, mended: %zu lost", lost);
    size_t again[] = {2, 0, 0}, edge[] = {0, 0, 0};
    OK(smoe_schedule_layer_mended(3, 2, 0.25, u, edge, compete, &lost));
    COUNTS(compete, ((size_t[]){0, 0, 0}), 3, "C.13: coins equal to the rate are tails");
    OK(smoe_schedule_layer_published(3, 2, 0.5, u, again, compete, &lost));
    COUNTS(compete, ((size_t[]){0, 1, 0}), 3, "C.13, published: compete");
    COUNTS(again, ((size_t[]){2, 2, 0}), 3, "C.13, published: load");
    ck_assert_msg(lost == 1, "C.13, published: %zu lost", lost);
}
END_TEST

/* Three layers over five steps, one of them warm-up, cap 1.  Layer 0: heads in steps 2 and 4.  Layer 1: a head in
 * step 2, which is full; before it step 1 is open (step 0 is warm-up).  Layer 2: heads in 1 and 2: step 1 is full
 * and nothing lies before it, after it 2 is full, 3 is open; step 2 is full, 1 is, 3 is (own), 4 is: lost. */
/* evidence hand: C.13 */
START_TEST(schedule_by_hand)
{
    const double H_ = 0.25, T__ = 0.75;
    const double u[] = {H_, T__, H_, T__, H_, H_, T__, H_, T__, T__, H_, H_, H_, T__, T__};
    const size_t want[] = {0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0};
    for (int published = 0; published < 2; published++) {
        size_t compete[15], load[5], lost[3];
        OK(smoe_schedule((smoe_collision)published, 3, 5, 1, 0.5, 0.2, u, compete, load, lost));
        COUNTS(compete, want, 15, "C.13 compete");
        COUNTS(load, ((size_t[]){0, 1, 1, 1, 1}), 5, "C.13 load");
        COUNTS(lost, ((size_t[]){0, 0, 1}), 3, "C.13 lost");
    }
}
END_TEST

/* (1 + 4 + 0 + 0)/4; dy = (2/4) (1, -2, 0, 0) for dloss 1. */
/* evidence hand: C.14 */
START_TEST(task_by_hand)
{
    const double y[] = {1, 2, 3, 4}, target[] = {0, 4, 3, 4};
    double loss, dy[4];
    OK(smoe_task_loss(4, y, target, &loss));
    OK(smoe_task_loss_vjp(4, y, target, 1, dy));
    ck_assert_msg(loss == 1.25, "C.14: task %a", loss);
    SAME(dy, ((double[]){0.5, -1, 0, 0}), 4, "C.14 dy");
}
END_TEST

/* --- a step with all its arrays --- */

enum { X, WR, BR, W1, B1, W2, B2, BLOCKS };
static const char *const block_name[BLOCKS] = {"x", "wr", "br", "w1", "b1", "w2", "b2"};
enum { LOSS, TASK, DISTILL, DIVERSITY, BALANCE, ZLOSS, SCALARS };
static const char *const scalar_name[SCALARS] = {"loss", "task", "distill", "diversity", "balance", "zloss"};

typedef struct {
    smoe_layer_shape shape;
    smoe_compete_options opt;
    bool router; /* a step without competition */
    size_t n, at[BLOCKS + 1];
    double *theta, *g, *target; /* inputs and their gradients, one block after the other; target [T,d] */
    size_t *indices;
    double *doubles, scalar[SCALARS], cot[SCALARS], *dy, *dweight;
    smoe_compete_out out;
    smoe_compete_kept kept;
    smoe_router_kept rkept;
    long double *frozen; /* [T,N] the target q, where it is detached */
} step;

static double *cut(double **block, size_t n)
{
    double *p = *block;
    *block += n;
    return p;
}

static step *step_new(size_t T, size_t d, size_t h, size_t N, size_t K)
{
    step *l = calloc(1, sizeof *l);
    l->shape = (smoe_layer_shape){SMOE_TOPK_SOFTMAX, SMOE_GELU, T, d, h, N, K};
    l->opt = (smoe_compete_options){
        .theta = 0.125, .c_task = 1, .c_distill = 0.5, .c_diversity = 0.25, .c_balance = 2, .c_zloss = 4};
    const size_t size[BLOCKS] = {T * d, N * d, N, N * h * d, N * h, N * d * h, N * d}, A = T * K;
    for (int b = 0; b < BLOCKS; b++) l->at[b + 1] = l->at[b] + size[b];
    l->n = l->at[BLOCKS];
    l->theta = room(l->n), l->g = room(l->n), l->target = room(T * d), l->dy = room(T * d), l->dweight = room(A);
    l->frozen = calloc(T * N + 1, sizeof *l->frozen);
    l->indices = calloc(5 * A + 4 * N + 2, sizeof *l->indices);
    double *p = l->doubles =
        room(T * N * (d + 10) + 2 * N * T * h + 20 * T * d + 20 * A * (d + h + 1) + 20 * N + 10 * T);
    size_t *q = l->indices;
    l->out = (smoe_compete_out){cut(&p, T * d),
                                cut(&p, T * N),
                                cut(&p, T * N),
                                q,
                                cut(&p, A),
                                cut(&p, T),
                                l->scalar + LOSS,
                                l->scalar + DISTILL,
                                l->scalar + DIVERSITY,
                                l->scalar + BALANCE,
                                l->scalar + ZLOSS};
    l->kept = (smoe_compete_kept){.o = cut(&p, T * N * d),
                                  .a = cut(&p, N * T * h),
                                  .u = cut(&p, N * T * h),
                                  .e = cut(&p, T * d),
                                  .response = cut(&p, T * N),
                                  .p = cut(&p, T * N),
                                  .q = cut(&p, T * N),
                                  .qs = cut(&p, T * N),
                                  .f = cut(&p, N),
                                  .P = cut(&p, N),
                                  .won = cut(&p, A * d),
                                  .unit = cut(&p, A * d),
                                  .norm = cut(&p, A),
                                  .value = cut(&p, 4 * N),
                                  .count = q + A};
    l->rkept = (smoe_router_kept){.layer = {q + A + N, q + A + 2 * N + 1, q + 2 * A + 2 * N + 1, cut(&p, T * N),
                                            cut(&p, A * d), cut(&p, A * d), cut(&p, A * h), cut(&p, A * h)},
                                  .p = cut(&p, T * N),
                                  .f = cut(&p, N),
                                  .P = cut(&p, N),
                                  .lse = cut(&p, T),
                                  .count = q + 3 * A + 2 * N + 1};
    return l;
}

static void step_free(step *l)
{
    free(l->theta), free(l->g), free(l->target), free(l->dy), free(l->dweight), free(l->frozen);
    free(l->indices), free(l->doubles), free(l);
}

static smoe_layer_in inputs(const step *l, const double *q)
{
    const size_t *at = l->at;
    return (smoe_layer_in){q, q + at[WR], q + at[BR], q + at[W1], q + at[B1], q + at[W2], q + at[B2]};
}

static smoe_status run(step *l, const double *q)
{
    const smoe_layer_in in = inputs(l, q);
    double *task = l->scalar + TASK;
    return l->router ? smoe_train_router(&l->shape, &l->opt, &in, l->target, &l->out, task, &l->rkept)
                     : smoe_train_compete(&l->shape, &l->opt, &in, l->target, &l->out, task, &l->kept);
}

static smoe_status back(step *l)
{
    const size_t *at = l->at, Td = l->shape.T * l->shape.d;
    double *g = l->g;
    const smoe_layer_in in = inputs(l, l->theta);
    const smoe_layer_grad grad = {g, g + at[WR], g + at[BR], g + at[W1], g + at[B1], g + at[W2], g + at[B2]};
    const smoe_compete_cot cot = {l->dy,           l->dweight,   l->cot[LOSS], l->cot[DISTILL], l->cot[DIVERSITY],
                                  l->cot[BALANCE], l->cot[ZLOSS]};
    /* just as much as is asked for, so that a sanitizer sees a step beyond it */
    const size_t n =
        Td + (l->router ? smoe_router_step_vjp_work(&l->shape) : smoe_compete_step_vjp_work(&l->shape, &l->opt));
    double *work = malloc((n ? n : 1) * sizeof *work);
    const smoe_status status = l->router ? smoe_train_router_vjp(&l->shape, &l->opt, &in, l->target, &l->out, &l->rkept,
                                                                 &cot, l->cot[TASK], &grad, work)
                                         : smoe_train_compete_vjp(&l->shape, &l->opt, &in, l->target, &l->out, &l->kept,
                                                                  &cot, l->cot[TASK], &grad, work);
    free(work);
    return status;
}

static void draw_step(step *l, uint64_t seed)
{
    slopes_fill(&seed, 1.0, l->n, l->theta);
    slopes_fill(&seed, 1.0, l->shape.T * l->shape.d, l->target);
    slopes_fill(&seed, 1.0, l->shape.T * l->shape.d, l->dy);
    slopes_fill(&seed, 1.0, l->shape.T * l->shape.K, l->dweight);
    slopes_fill(&seed, 1.0, SCALARS, l->cot);
    l->cot[DISTILL] *= 4;
    OK(run(l, l->theta));
    OK(back(l));
}

/* No cotangent but 1 on one of the scalars. */
static void only(step *l, int scalar)
{
    memset(l->dy, 0, l->shape.T * l->shape.d * sizeof *l->dy);
    memset(l->dweight, 0, l->shape.T * l->shape.K * sizeof *l->dweight);
    memset(l->cot, 0, sizeof l->cot);
    l->cot[scalar] = 1;
    OK(back(l));
}

static bool is_zero(size_t n, const double *x)
{
    for (size_t k = 0; k < n; k++)
        if (x[k] != 0) return false;
    return true;
}

static bool block_is_zero(const step *l, int block)
{
    return is_zero(l->at[block + 1] - l->at[block], l->g + l->at[block]);
}

/* check_compete.c's layer: one token x = 1, experts +-800, logits (0, 0), K = 1; here with target 798: task (800 -
 * 798)^2 = 4, loss = 4 + 9/64 + 0 + 2 2; dloss = 2: G = 2 2 2 = 8, dr = -9/32, dx = 8 800 - 2 9/32. */
static step *two_experts(void)
{
    step *l = step_new(1, 1, 1, 2, 1);
    l->shape.phi = SMOE_RELU;
    const double theta[] = {1, 2, 0, -2, 0, 1, 1, 0, 0, 800, -800, 0, 0};
    memcpy(l->theta, theta, sizeof theta);
    l->target[0] = 798;
    return l;
}

/* evidence hand: C.14 */
START_TEST(step_by_hand)
{
    step *l = two_experts();
    OK(run(l, l->theta));
    ck_assert_msg(l->out.index[0] == 0 && l->out.y[0] == 800, "C.3: y = %a", l->out.y[0]);
    SAME(l->scalar, ((double[]){8 + 9.0 / 64, 4, 9.0 / 32, 0, 2, 0}), SCALARS, "C.14 scalars");
    l->cot[LOSS] = 2;
    OK(back(l));
    const double r = 9.0 / 32;
    SAME(l->g, ((double[]){6400 - 2 * r, -r, r, -r, r, 6400, 0, 6400, 0, 8, 0, 8, 0}), l->n, "C.14 gradient");
    step_free(l);
}
END_TEST

/* Version 1: norms 800 and 800 tie, expert 0 wins; q = (1, 0), distill = (1/4 + 1/4)/2; softmax(s) uniform: balance
 * 2 1/2; loss = 4 + 1/8 + 0 + 2. */
/* evidence hand: C.14 */
START_TEST(step_version_1_by_hand)
{
    step *l = two_experts();
    l->opt.version = SMOE_VERSION_1, l->opt.response = SMOE_RESPONSE_NORM, l->opt.weights = SMOE_WEIGHTS_SOFTMAX;
    OK(run(l, l->theta));
    ck_assert_msg(l->out.index[0] == 0 && l->out.margin[0] == 0, "C.14: norms tie");
    SAME(l->out.s, ((double[]){800, 800}), 2, "C.1a s");
    SAME(l->scalar, ((double[]){6.125, 4, 0.25, 0, 1, 0}), SCALARS, "C.14 scalars, version 1");
    /* g_distill = 2/2 = 1: dp = (2/2)(-1/2, 1/2), dr = 1/2 (-1/2, 1/2).  g_balance = 4: dP = 4 2 (1, 0), ds = 1/2 (8
     * - 4) = 2 and -2; o = 800 and -800: do_0 = 8 + 2, do_1 = -2 (-1) = 2. */
    l->cot[LOSS] = 2;
    OK(back(l));
    SAME(l->g, ((double[]){8000 - 1600 - 0.5, -0.25, 0.25, -0.25, 0.25, 8000, -1600, 8000, -1600, 10, 2, 10, 2}), l->n,
         "C.14 gradient, version 1");
    step_free(l);
}
END_TEST

/* By the router: logits tie, expert 0; task 4, balance 1, zloss (ln 2)^2; version 1 has no zloss: 4 + 2. */
/* evidence hand: C.14 C.15 */
START_TEST(router_by_hand)
{
    step *l = two_experts();
    l->router = true;
    OK(run(l, l->theta));
    ck_assert_msg(l->out.index[0] == 0 && l->out.y[0] == 800, "C.15: y = %a", l->out.y[0]);
    const double zloss = ln2 * ln2;
    NEAR(l->scalar, ((double[]){6 + 4 * zloss, 4, 0, 0, 1, zloss}), SCALARS, 2, "C.14 scalars, router");
    l->opt.version = SMOE_VERSION_1;
    OK(run(l, l->theta));
    SAME(l->scalar, ((double[]){6, 4, 0, 0, 1, 0}), SCALARS, "C.14 scalars, router, version 1");
    const smoe_layer_in in = inputs(l, l->theta);
    const smoe_layer_out out = {l->out.y, l->out.r, l->out.index, l->out.weight, l->out.margin};
    l->out.y[0] = 0;
    OK(smoe_layer(&l->shape, &in, &out, &l->rkept.layer));
    ck_assert_msg(l->out.y[0] == 800, "C.15: inference gives %a", l->out.y[0]);
    step_free(l);
}
END_TEST

/* --- gradients: everything once more, in extended precision, from the formulas --- */

static void softmax(size_t n, const long double *z, long double *p)
{
    long double sum = 0;
    for (size_t i = 0; i < n; i++) sum += expl(z[i]);
    for (size_t i = 0; i < n; i++) p[i] = expl(z[i]) / sum;
}

/* Version 1's target of one token. */
static void masked(size_t N, size_t K, const long double *s, const size_t *index, long double *q)
{
    long double sum = 0;
    for (size_t i = 0; i < N; i++) q[i] = 0;
    for (size_t j = 0; j < K; j++) sum += expl(s[index[j]]);
    for (size_t j = 0; j < K; j++) q[index[j]] = expl(s[index[j]]) / sum;
}

enum { MSE, KL, CLAMPED, WINNERS, DISTANCES };
static const char *const distance_name[DISTANCES] = {"C.9 mse", "C.9 kl", "C.9 kl-clamped", "C.5 winners"};

/* C.9, and the winners' term of C.5: theta = r | s, or r alone with s frozen */
typedef struct {
    int distance;
    size_t T, N, K;
    const size_t *index;
    const double *s; /* NULL: the target is attached */
} lesson;

static long double exact_lesson(const void *test, const long double *rs)
{
    const lesson *a = test;
    long double phi = 0, p[8], q[8], s[8];
    for (size_t t = 0; t < a->T; t++) {
        const size_t *I = a->index + t * a->K;
        for (size_t i = 0; i < a->N; i++) s[i] = a->s ? a->s[t * a->N + i] : rs[(a->T + t) * a->N + i];
        softmax(a->N, rs + t * a->N, p);
        masked(a->N, a->K, s, I, q);
        if (a->distance == WINNERS) softmax(a->N, s, q);
        for (size_t i = 0; i < a->N && a->distance == MSE; i++)
            phi += (p[i] - q[i]) * (p[i] - q[i]) / (long double)a->N;
        for (size_t i = 0; i < a->N && a->distance == CLAMPED; i++)
            phi += p[i] * logl(p[i] / (q[i] > 1e-6 ? q[i] : 1e-6L));
        for (size_t j = 0; j < a->K && a->distance == KL; j++) phi += q[I[j]] * logl(q[I[j]] / p[I[j]]);
        for (size_t j = 0; j < a->K && a->distance == WINNERS; j++)
            phi += 0.75L * (p[I[j]] - q[I[j]]) * (p[I[j]] - q[I[j]]) / (long double)a->K;
    }
    return phi / (long double)a->T;
}

static smoe_status teach(const lesson *a, const double *r, const double *s, double *p, double *q, double *loss,
                         double *work)
{
    const size_t T = a->T, N = a->N, K = a->K;
    if (a->distance == MSE) return smoe_distill_v1(T, N, K, r, s, a->index, p, q, loss, work);
    if (a->distance == KL) return smoe_distill_kl(T, N, K, r, s, a->index, p, q, loss, work);
    if (a->distance == CLAMPED) return smoe_distill_kl_clamped(T, N, K, r, s, a->index, p, q, loss, work);
    smoe_status status = smoe_distill(T, N, K, 0.75, r, s, a->index, p, q, loss);
    return status == SMOE_OK ? smoe_distill_winners_loss(T, N, K, 0.75, p, q, a->index, loss) : status;
}

/* dr, and ds of the attached target. */
static smoe_status teach_vjp(const lesson *a, const double *r, const double *s, const double *p, const double *q,
                             double g, double *dr, double *ds, double *work)
{
    const size_t T = a->T, N = a->N, K = a->K, *index = a->index;
    smoe_status status;
    switch (a->distance) {
    case MSE:
        status = smoe_distill_v1_vjp(T, N, p, q, g, dr, work);
        return status == SMOE_OK ? smoe_distill_v1_target_vjp(T, N, K, p, q, index, g, ds, work) : status;
    case KL:
        status = smoe_distill_kl_vjp(T, N, p, q, g, dr);
        return status == SMOE_OK ? smoe_distill_kl_target_vjp(T, N, K, r, s, q, index, g, ds, work) : status;
    case CLAMPED:
        status = smoe_distill_kl_clamped_vjp(T, N, r, p, q, g, dr, work);
        return status == SMOE_OK ? smoe_distill_kl_clamped_target_vjp(T, N, K, p, q, index, g, ds, work) : status;
    default:
        status = smoe_distill_winners_vjp(T, N, K, 0.75, p, q, index, g, dr, work);
        return status == SMOE_OK ? smoe_distill_winners_target_vjp(T, N, K, 0.75, p, q, index, g, ds, work) : status;
    }
}

static double library_lesson(const void *test, const double *rs)
{
    const lesson *a = test;
    double p[32], q[32], loss, work[32];
    OK(teach(a, rs, a->s ? a->s : rs + a->T * a->N, p, q, &loss, work));
    return loss;
}

/* Both checks accept the gradient g, and both refuse it with its largest entry off by 1/1000 (the negative control). */
static void check_gradient(const char *what, size_t n, const double *x, double *g, slopes_exact exact, slopes_library f,
                           const void *test, uint64_t seed)
{
    seed += 500; /* not the direction of x */
    const double order = slopes_order(n, x, g, exact, test, seed), off = slopes_adjoint(n, x, g, f, test, 0, n, seed);
    /* under Valgrind the remainders of these small losses are partly rounding: there the right gradient must do better */
    const bool narrow = slopes_narrow();
    const double right_order = narrow ? slopes_order_right(n, x, g, exact, test, seed) : order;
    ck_assert_msg(right_order > 1.8, "%s: Taylor remainder falls with order %.3f, not 2 (seed %d)", what, right_order,
                  (int)seed);
    ck_assert_msg(off <= 1e-8, "%s: the two sides of the adjoint identity differ by %.1e", what, off);
    size_t largest = 0;
    for (size_t k = 0; k < n; k++)
        if (fabs(g[k]) > fabs(g[largest])) largest = k;
    const double right = g[largest];
    g[largest] *= 1.001;
    ck_assert_msg(slopes_order(n, x, g, exact, test, seed) < (narrow ? order : 1.6),
                  "%s: Taylor accepts a wrong gradient", what);
    ck_assert_msg(slopes_adjoint(n, x, g, f, test, 0, n, seed) > 1e-6, "%s: the adjoint check accepts it", what);
    g[largest] = right;
}

/* evidence gradient: C.5 C.9 */
START_TEST(gradient_of_the_lessons)
{
    enum { T = 3, N = 5, K = 2 };
    for (uint64_t seed = 1; seed <= 5; seed++) {
        uint64_t state = seed;
        double *rs = drawn(&state, 2, 2 * T * N), p[T * N], q[T * N], loss, g[2 * T * N], work[4 * N];
        const size_t index[T * K] = {1, 0, 4, 2, 3, 1};
        const lesson attached = {_i, T, N, K, index, NULL}, detached = {_i, T, N, K, index, rs + T * N};
        OK(teach(&attached, rs, rs + T * N, p, q, &loss, work));
        OK(teach_vjp(&attached, rs, rs + T * N, p, q, 1, g, g + T * N, work));
        check_gradient(distance_name[_i], 2 * T * N, rs, g, exact_lesson, library_lesson, &attached, seed);
        check_gradient(distance_name[_i], T * N, rs, g, exact_lesson, library_lesson, &detached, seed);
        free(rs);
    }
}
END_TEST

/* C.10 */
typedef struct {
    smoe_count which;
    size_t B, S, N, K, A;
    const size_t *index;
} market;

static long double exact_balance(const void *test, const long double *s)
{
    const market *a = test;
    long double phi = 0, q[8];
    for (size_t t = 0; t < a->B * a->S; t++) {
        softmax(a->N, s + t * a->N, q);
        for (size_t i = 0; i < a->N; i++) { /* f of the token's sequence, counted here */
            size_t c = 0;
            for (size_t k = 0; k < a->S * a->K; k++)
                c += (a->which == SMOE_COUNT_ALL || k % a->K == 0) && a->index[t / a->S * a->S * a->K + k] == i;
            phi += (long double)(a->N * c) / (long double)a->A * q[i] / (long double)(a->S * a->B);
        }
    }
    return phi;
}

static double library_balance(const void *test, const double *s)
{
    const market *a = test;
    double f[32], q[64], P[32], loss;
    size_t count[8];
    OK(smoe_compete_balance(a->which, a->B, a->S, a->N, a->K, a->A, s, a->index, count, f, q, P, &loss));
    return loss;
}

/* evidence gradient: C.10 */
START_TEST(gradient_of_the_balance)
{
    enum { T = 6, N = 5, K = 2 };
    const market variants[] = {{SMOE_COUNT_ALL, 1, T, N, K, T * K, NULL},
                               {SMOE_COUNT_FIRST, 3, 2, N, K, 2, NULL},
                               {SMOE_COUNT_ALL, 2, 3, N, K, 3, NULL}};
    for (uint64_t seed = 1; seed <= 5; seed++) {
        uint64_t state = seed;
        double *s = drawn(&state, 2, T * N), f[T * N], q[T * N], P[T * N], loss, g[T * N], work[T * N + N];
        const size_t index[T * K] = {1, 0, 4, 2, 1, 3, 1, 2, 0, 1, 4, 1};
        size_t count[N];
        market a = variants[_i];
        a.index = index;
        OK(smoe_compete_balance(a.which, a.B, a.S, N, K, a.A, s, index, count, f, q, P, &loss));
        OK(smoe_compete_balance_vjp(a.B, a.S, N, f, q, 1, g, work));
        check_gradient("C.10", T * N, s, g, exact_balance, library_balance, &a, seed);
        free(s);
    }
}
END_TEST

/* C.2 by sigmoids and C.11, of N winners: theta = response | r;  phi = <c, weights> */
typedef struct {
    size_t N;
    double share;
    const double *c;
} blend;

static long double exact_blend(const void *test, const long double *x)
{
    const blend *a = test;
    long double v[8], sum = 0, phi = 0;
    for (size_t i = 0; i < a->N; i++)
        sum += v[i] = 1 / (1 + expl(-((1 - (long double)a->share) * x[i] + (long double)a->share * x[a->N + i])));
    for (size_t i = 0; i < a->N; i++) phi += a->c[i] * v[i] / sum;
    return phi;
}

static double library_blend(const void *test, const double *x)
{
    const blend *a = test;
    double s[8], weight[8], v[8], phi = 0;
    OK(smoe_mix_scores(a->N, a->share, x, x + a->N, s));
    OK(smoe_compete_weights_sigmoid(a->N, s, weight, v));
    for (size_t i = 0; i < a->N; i++) phi += a->c[i] * weight[i];
    return phi;
}

/* evidence gradient: C.2 C.11 */
START_TEST(gradient_of_the_mix)
{
    enum { N = 4 };
    for (uint64_t seed = 1; seed <= 5; seed++) {
        uint64_t state = seed;
        double *x = drawn(&state, 2, 2 * N), *c = drawn(&state, 1, N), s[N], weight[N], v[N], ds[N], g[2 * N];
        const blend a = {N, 0.375, c};
        OK(smoe_mix_scores(N, a.share, x, x + N, s));
        OK(smoe_compete_weights_sigmoid(N, s, weight, v));
        OK(smoe_compete_weights_sigmoid_vjp(N, s, weight, c, ds, v));
        OK(smoe_mix_scores_vjp(N, a.share, ds, g, g + N));
        check_gradient("C.11 into C.2", 2 * N, x, g, exact_blend, library_blend, &a, seed);
        free(x), free(c);
    }
}
END_TEST

/* C.14: outputs of all experts and the logits, of one token. */
static void expert_outputs(const step *l, const long double *q, size_t t, long double *o, long double *r)
{
    const size_t d = l->shape.d, h = l->shape.h, N = l->shape.N, *at = l->at;
    const long double *x = q + t * d;
    for (size_t i = 0; i < N; i++) {
        r[i] = q[at[BR] + i];
        for (size_t e = 0; e < d; e++) r[i] += q[at[WR] + i * d + e] * x[e];
        for (size_t e = 0; e < d; e++) o[i * d + e] = q[at[B2] + i * d + e];
        for (size_t k = 0; k < h; k++) {
            long double a = q[at[B1] + i * h + k];
            for (size_t e = 0; e < d; e++) a += q[at[W1] + (i * h + k) * d + e] * x[e];
            const long double u = a / 2 * erfcl(-a / sqrtl(2)); /* GELU: no kink in the way */
            for (size_t e = 0; e < d; e++) o[i * d + e] += q[at[W2] + (i * d + e) * h + k] * u;
        }
    }
}

static long double sigmoid(long double z) { return 1 / (1 + expl(-z)); }

static long double response(smoe_response kind, size_t d, const long double *o)
{
    long double sum = 0;
    for (size_t e = 0; e < d; e++)
        sum += kind == SMOE_RESPONSE_SOFTPLUS  ? log1pl(expl(o[e]))
               : kind == SMOE_RESPONSE_NORM    ? o[e] * o[e]
               : kind == SMOE_RESPONSE_RELU    ? (o[e] > 0 ? o[e] : 0)
               : kind == SMOE_RESPONSE_SIGMOID ? sigmoid(o[e])
                                               : o[e] * sigmoid(o[e]);
    return kind == SMOE_RESPONSE_NORM ? sqrtl(sum) : sum / (long double)d;
}

/* Scores, winners' weights and target of one token, decisions as the library took them. */
static void compete_exactly(const step *l, size_t t, const long double *o, const long double *r, long double *s,
                            long double *weight, long double *q)
{
    const size_t d = l->shape.d, N = l->shape.N, K = l->shape.K, *I = l->out.index + t * K;
    long double won[8], sum = 0;
    for (size_t i = 0; i < N; i++) s[i] = (1 - (long double)l->opt.mix) * response(l->opt.response, d, o + i * d);
    for (size_t i = 0; i < N; i++) s[i] += (long double)l->opt.mix * r[i];
    for (size_t j = 0; j < K; j++) won[j] = l->opt.weights == SMOE_WEIGHTS_SIGMOID_RATIO ? sigmoid(s[I[j]]) : s[I[j]];
    for (size_t j = 0; j < K; j++) sum += won[j];
    for (size_t j = 0; j < K; j++) weight[j] = won[j] / sum;
    if (l->opt.weights == SMOE_WEIGHTS_SOFTMAX) softmax(K, won, weight);
    if (l->opt.version == SMOE_VERSION_1)
        masked(N, K, s, I, q);
    else
        softmax(N, s, q);
}

/* The terms of one token's lesson: distillation and diversity by their cotangents. */
static long double lessons_exactly(const step *l, size_t t, long double g_distill, long double g_diversity,
                                   const long double *o, const long double *p, const long double *q)
{
    const size_t d = l->shape.d, N = l->shape.N, K = l->shape.K, *I = l->out.index + t * K;
    const bool first = l->opt.version == SMOE_VERSION_1, square = l->opt.diversity == SMOE_DIVERSITY_SQUARE;
    long double all = 0, won = 0, pairs = 0;
    for (size_t i = 0; i < N; i++) all += (p[i] - q[i]) * (p[i] - q[i]);
    for (size_t j = 0; j < K; j++) won += (p[I[j]] - q[I[j]]) * (p[I[j]] - q[I[j]]);
    for (size_t i = 0; i < K; i++)
        for (size_t j = 0; j < i; j++) {
            long double dot = 0, ii = 0, jj = 0;
            const long double *a = o + I[i] * d, *b = o + I[j] * d;
            for (size_t e = 0; e < d; e++) dot += a[e] * b[e], ii += a[e] * a[e], jj += b[e] * b[e];
            pairs += 2 * dot / sqrtl(ii * jj);
        }
    if (first) return g_distill * all / (long double)N;
    return g_distill * (all / (long double)N + l->opt.theta * won / (long double)K) +
           (K > 1 ? g_diversity * pairs / (long double)(square ? K * K : K * (K - 1)) : 0);
}

static long double exact_step(const void *test, const long double *theta)
{
    const step *l = test;
    const size_t T = l->shape.T, d = l->shape.d, N = l->shape.N, K = l->shape.K;
    const double *f = l->router ? l->rkept.f : l->kept.f;
    const long double c[SCALARS] = {0,
                                    l->opt.c_task,
                                    l->opt.c_distill,
                                    l->opt.c_diversity,
                                    l->opt.c_balance,
                                    l->opt.version == SMOE_VERSION_2 ? l->opt.c_zloss : 0};
    long double g[SCALARS], phi = 0, o[64], r[8], s[8], p[8], q[8], qs[8], weight[8], won[8];
    for (int k = 0; k < SCALARS; k++) g[k] = l->cot[k] + c[k] * l->cot[LOSS];
    if (l->opt.version == SMOE_VERSION_1) g[ZLOSS] = 0; /* a constant */
    for (size_t t = 0; t < T; t++) {
        const size_t *I = l->out.index + t * K;
        expert_outputs(l, theta, t, o, r);
        compete_exactly(l, t, o, r, s, weight, q);
        softmax(N, r, p);
        softmax(N, s, qs);
        long double terms = 0, Z = 0;
        for (size_t i = 0; i < N; i++) terms += g[BALANCE] * (long double)N * f[i] * (l->router ? p[i] : qs[i]);
        if (l->router) {
            for (size_t i = 0; i < N; i++) Z += expl(r[i]);
            terms += g[ZLOSS] * logl(Z) * logl(Z);
            for (size_t j = 0; j < K; j++) won[j] = r[I[j]];
            softmax(K, won, weight);
        } else {
            const bool held = l->opt.target == SMOE_TARGET_DETACHED;
            terms += lessons_exactly(l, t, g[DISTILL], g[DIVERSITY], o, p, held ? l->frozen + t * N : q);
        }
        phi += terms / (long double)T;
        for (size_t j = 0; j < K; j++) phi += l->dweight[t * K + j] * weight[j];
        for (size_t e = 0; e < d; e++) {
            long double y = 0;
            for (size_t j = 0; j < K; j++) y += weight[j] * o[I[j] * d + e];
            phi += l->dy[t * d + e] * y;
            y -= l->target[t * d + e];
            phi += g[TASK] * y * y / (long double)(T * d);
        }
    }
    return phi;
}

static double library_step(const void *test, const double *theta)
{
    step *l = (step *)(uintptr_t)test;
    const size_t T = l->shape.T, d = l->shape.d, K = l->shape.K;
    size_t before[64];
    memcpy(before, l->out.index, T * K * sizeof *before);
    OK(run(l, theta));
    ck_assert_msg(memcmp(before, l->out.index, T * K * sizeof *before) == 0, "the step of a check changed the winners");
    double phi = 0;
    for (int k = 0; k < SCALARS; k++) phi += l->cot[k] * l->scalar[k];
    for (size_t k = 0; k < T * K; k++) phi += l->dweight[k] * l->out.weight[k];
    for (size_t k = 0; k < T * d; k++) phi += l->dy[k] * l->out.y[k];
    return phi;
}

/* The steps whose gradients are checked. */
typedef struct {
    const char *name;
    bool router;
    smoe_compete_options opt;
} variant;

#define C_ .theta = 0.75, .c_task = 1, .c_distill = 0.5, .c_diversity = 0.25, .c_balance = 2, .c_zloss = 4
#define V1 .version = SMOE_VERSION_1, .response = SMOE_RESPONSE_NORM, .weights = SMOE_WEIGHTS_SOFTMAX
static const variant variants[] = {
    {"C.14 version 2", false, {C_}},
    {"C.14 version 2, attached", false, {C_, .target = SMOE_TARGET_ATTACHED}},
    {"C.14 version 2, square, first", false, {C_, .diversity = SMOE_DIVERSITY_SQUARE, .count = SMOE_COUNT_FIRST}},
    {"C.14 version 2, norm", false, {C_, .response = SMOE_RESPONSE_NORM}},
    {"C.14 version 2, sigmoid, attached",
     false,
     {C_, .response = SMOE_RESPONSE_SIGMOID, .target = SMOE_TARGET_ATTACHED}},
    {"C.14 version 2, silu, sigmoid-ratio, mix",
     false,
     {C_, .response = SMOE_RESPONSE_SILU, .weights = SMOE_WEIGHTS_SIGMOID_RATIO, .mix = 0.25}},
    {"C.14 version 2, softmax", false, {C_, .weights = SMOE_WEIGHTS_SOFTMAX}},
    {"C.14 version 1", false, {C_, V1}},
    {"C.14 version 1, attached", false, {C_, V1, .target = SMOE_TARGET_ATTACHED}},
    {"C.14 version 1, mix", false, {C_, V1, .mix = 0.5}},
    {"C.14 version 1, mix, attached", false, {C_, V1, .mix = 0.5, .target = SMOE_TARGET_ATTACHED}},
    {"C.14 router, version 2", true, {C_}},
    {"C.14 router, version 1", true, {C_, V1}},
};
enum { VARIANTS = sizeof variants / sizeof *variants };

/* A drawn step of a variant, no decision within reach of a check's step, with the target as it stands. */
static step *variant_step(int i, uint64_t seed)
{
    enum { T = 5, d = 2, h = 6, N = 4, K = 3 }; /* no two alike */
    step *l = step_new(T, d, h, N, K);
    l->opt = variants[i].opt, l->router = variants[i].router;
    bool apart;
    do {
        draw_step(l, seed);
        seed += 1000;
        apart = true;
        for (size_t t = 0; t < T; t++) apart = apart && l->out.margin[t] > 0.01;
    } while (!apart);
    long double s[8], o[64], r[8], weight[8], q[400];
    for (size_t k = 0; k < l->n; k++) q[k] = l->theta[k];
    for (size_t t = 0; t < T; t++) {
        expert_outputs(l, q, t, o, r);
        compete_exactly(l, t, o, r, s, weight, l->frozen + t * N);
    }
    return l;
}

/* With a detached target the library's own forward moves the target too, so only wr and br are left to its
 * differences, and with a mix not even these. */
/* evidence gradient: C.9 C.10 C.11 C.14 */
START_TEST(gradient_of_the_step)
{
    const char *name = variants[_i].name;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        step *l = variant_step(_i, seed);
        const double order = slopes_order(l->n, l->theta, l->g, exact_step, l, seed);
        ck_assert_msg(order > 1.8, "%s: Taylor remainder falls with order %.3f, not 2", name, order);
        const bool detached = !l->router && l->opt.target == SMOE_TARGET_DETACHED;
        for (int b = 0; b < BLOCKS; b++) {
            const size_t first = l->at[b], count = l->at[b + 1] - first;
            if (!detached || (l->opt.mix == 0 && (b == WR || b == BR))) {
                const double off = slopes_adjoint(l->n, l->theta, l->g, library_step, l, first, count, seed);
                ck_assert_msg(off <= 1e-8, "%s: <d_%s, v> is off by %.1e", name, block_name[b], off);
            }
            size_t largest = first; /* the negative control, in every block */
            for (size_t k = first; k < first + count; k++)
                if (fabs(l->g[k]) > fabs(l->g[largest])) largest = k;
            const double right = l->g[largest];
            l->g[largest] *= 1.01;
            ck_assert_msg(slopes_order(l->n, l->theta, l->g, exact_step, l, seed) < 1.7,
                          "%s: Taylor accepts a wrong d_%s", name, block_name[b]);
            l->g[largest] = right;
        }
        step_free(l);
    }
}
END_TEST

/* --- who gets gradient, and who is detached: every cell of the spec's table --- */

typedef struct {
    const char *row;
    bool first, router, mix, attached;
    int term;
    bool to_router, to_winners, to_losers, by_r, by_experts; /* the columns; the last two are x's ways */
    bool held; /* q is a constant that moves */
} cell_row;

static const cell_row gradient_rows[] = {
    {"version 2, task", 0, 0, 0, 0, TASK, 0, 1, 0, 0, 1, 0},
    {"version 2, distillation", 0, 0, 0, 0, DISTILL, 1, 0, 0, 1, 0, 1},
    {"version 2, distillation, attached", 0, 0, 0, 1, DISTILL, 1, 1, 1, 1, 1, 0},
    {"version 2, diversity", 0, 0, 0, 0, DIVERSITY, 0, 1, 0, 0, 1, 0},
    {"version 2, balance", 0, 0, 0, 0, BALANCE, 0, 1, 1, 0, 1, 0},
    {"version 1, task", 1, 0, 0, 0, TASK, 0, 1, 0, 0, 1, 0},
    {"version 1, task with mix", 1, 0, 1, 0, TASK, 1, 1, 0, 1, 1, 0},
    {"version 1, distillation", 1, 0, 0, 0, DISTILL, 1, 0, 0, 1, 0, 1},
    {"version 1, distillation, attached", 1, 0, 0, 1, DISTILL, 1, 1, 0, 1, 1, 0},
    {"version 1, balance", 1, 0, 0, 0, BALANCE, 0, 1, 1, 0, 1, 0},
    {"no competition, task", 0, 1, 0, 0, TASK, 1, 1, 0, 1, 1, 0},
    {"no competition, balance", 0, 1, 0, 0, BALANCE, 1, 0, 0, 1, 0, 0},
    {"no competition, z-loss", 0, 1, 0, 0, ZLOSS, 1, 0, 0, 1, 0, 0},
    {"no competition, version 1, task", 1, 1, 0, 0, TASK, 1, 1, 0, 1, 1, 0},
    {"no competition, version 1, balance", 1, 1, 0, 0, BALANCE, 1, 0, 0, 1, 0, 0},
    {"version 1, diversity: none", 1, 0, 0, 0, DIVERSITY, 0, 0, 0, 0, 0, 0},
    {"competition, z-loss: none", 0, 0, 0, 0, ZLOSS, 0, 0, 0, 0, 0, 0},
    {"no competition, distillation: none", 0, 1, 0, 0, DISTILL, 0, 0, 0, 0, 0, 0},
    {"no competition, version 1, z-loss: none", 1, 1, 0, 0, ZLOSS, 0, 0, 0, 0, 0, 0},
};
enum { ROWS = sizeof gradient_rows / sizeof *gradient_rows };

enum { CELL_T = 2, CELL_D = 4, CELL_H = 5, CELL_N = 6, CELL_K = 2 }; /* at most four win, so two lose */

static step *cell_step(const cell_row *row)
{
    step *l = step_new(CELL_T, CELL_D, CELL_H, CELL_N, CELL_K);
    if (row->first)
        l->opt.version = SMOE_VERSION_1, l->opt.response = SMOE_RESPONSE_NORM, l->opt.weights = SMOE_WEIGHTS_SOFTMAX;
    const smoe_compete_options opt = l->opt;
    l->opt = variants[0].opt;
    draw_step(l, 5); /* a competition of version 2 before, so that everything that is kept has been used */
    l->opt = opt;
    l->router = row->router;
    l->opt.mix = row->mix ? 0.5 : 0;
    l->opt.target = row->attached ? SMOE_TARGET_ATTACHED : SMOE_TARGET_DETACHED;
    draw_step(l, 5);
    return l;
}

/* Does expert i's gradient hold anything but zeros? */
static bool expert_learns(const step *l, size_t i)
{
    const size_t size[BLOCKS] = {0, 0, 0, CELL_H * CELL_D, CELL_H, CELL_D * CELL_H, CELL_D};
    for (int b = W1; b <= B2; b++)
        if (!is_zero(size[b], l->g + l->at[b] + i * size[b])) return true;
    return false;
}

/* dx with one way to it closed: `block` is set to zero. */
static bool x_learns_without(const cell_row *row, int block)
{
    step *l = cell_step(row);
    memset(l->theta + l->at[block], 0, (l->at[block + 1] - l->at[block]) * sizeof *l->theta);
    OK(run(l, l->theta));
    only(l, row->term);
    const bool learns = !block_is_zero(l, X);
    step_free(l);
    return learns;
}

#define CELL(got, want, column)                                                                                        \
    ck_assert_msg((got) == (want), "%s: %s %s gradient", row->row, column, (got) ? "gets a" : "gets no")

/* evidence properties: C.4 C.5 C.6 C.7 C.8 C.9 C.10 C.11 C.14 */
START_TEST(gradient_table)
{
    const cell_row *row = &gradient_rows[_i];
    step *l = cell_step(row);
    only(l, row->term);
    CELL(!block_is_zero(l, WR) || !block_is_zero(l, BR), row->to_router, "the router");
    bool won[CELL_N] = {false};
    for (size_t a = 0; a < CELL_T * CELL_K; a++) won[l->out.index[a]] = true;
    for (size_t i = 0; i < CELL_N; i++)
        if (won[i])
            CELL(expert_learns(l, i), row->to_winners, "a winner");
        else
            CELL(expert_learns(l, i), row->to_losers, "a loser");
    CELL(x_learns_without(row, W1), row->by_r, "x, by way of r,");
    CELL(x_learns_without(row, WR), row->by_experts, "x, by way of the experts,");

    /* Detached: q moves with the experts and is held all the same; nothing else that moves is held, so that the
     * differences of the library's own forward are the gradient (I and f do not move: they are constants where a
     * derivative exists). */
    if (row->held) {
        const double off = slopes_adjoint(l->n, l->theta, l->g, library_step, l, l->at[W2], l->at[B2] - l->at[W2], 3);
        ck_assert_msg(off > 1e-4, "%s: the target does not move, so this says nothing", row->row);
        const double r = slopes_adjoint(l->n, l->theta, l->g, library_step, l, l->at[WR], l->at[W1] - l->at[WR], 3);
        ck_assert_msg(r <= 1e-8, "%s: the router's side is off by %.1e", row->row, r);
    } else {
        for (int b = 0; b < BLOCKS; b++) {
            const size_t first = l->at[b], count = l->at[b + 1] - first;
            const double off = slopes_adjoint(l->n, l->theta, l->g, library_step, l, first, count, 3);
            ck_assert_msg(off <= 1e-7, "%s: <d_%s, v> is off by %.1e: something is held", row->row, block_name[b], off);
        }
    }
    step_free(l);
}
END_TEST

/* K = 1: the one weight is 1 whatever the scores, and "through w" is exactly 0, with and without competition. */
/* evidence properties: C.2 C.14 */
START_TEST(one_winner_teaches_no_router)
{
    for (int router = 0; router < 2; router++)
        for (int first = 0; first < 2; first++) {
            step *l = step_new(3, 4, 5, 4, 1);
            l->router = router;
            l->opt.version = first ? SMOE_VERSION_1 : SMOE_VERSION_2;
            l->opt.response = first ? SMOE_RESPONSE_NORM : SMOE_RESPONSE_SOFTPLUS;
            l->opt.weights = first ? SMOE_WEIGHTS_SOFTMAX : SMOE_WEIGHTS_RATIO;
            draw_step(l, 7);
            only(l, TASK);
            ck_assert_msg(block_is_zero(l, WR) && block_is_zero(l, BR), "C.14: with K = 1 the task trains the router");
            ck_assert_msg(!block_is_zero(l, W2), "C.14: with K = 1 the task trains nobody");
            step_free(l);
        }
}
END_TEST

/* --- properties --- */

/* StaleLoss: a step by the router into the arrays of a competition before it has only its own terms, and only their
 * gradient; the total of either step starts from zero. */
/* evidence properties: C.8 C.14 */
START_TEST(no_loss_of_the_step_before)
{
    for (int first = 0; first < 2; first++) {
        step *l = step_new(4, 4, 5, 4, 2), *fresh = step_new(4, 4, 5, 4, 2);
        l->opt.version = fresh->opt.version = first ? SMOE_VERSION_1 : SMOE_VERSION_2;
        draw_step(l, 11);
        ck_assert_msg(l->scalar[DISTILL] != 0 && l->scalar[LOSS] != 0, "C.14: there is nothing to be left over");
        l->router = fresh->router = true;
        OK(run(l, l->theta));
        draw_step(fresh, 11);
        ck_assert_msg(memcmp(l->theta, fresh->theta, l->n * sizeof *l->theta) == 0, "the draws are the same");
        SAME(l->scalar, fresh->scalar, SCALARS, "C.14: after a competition");
        const double *v = l->scalar;
        ck_assert_msg(v[DISTILL] == 0 && v[DIVERSITY] == 0, "C.14: terms of the competition are left over");
        ck_assert_msg(v[LOSS] == l->opt.c_task * v[TASK] + l->opt.c_balance * v[BALANCE] + l->opt.c_zloss * v[ZLOSS],
                      "C.14: the total is not that of its own terms");
        OK(back(l));
        SAME(l->g, fresh->g, l->n, "C.14: gradient after a competition");
        step_free(l), step_free(fresh);
    }
}
END_TEST

/* RequiresGradSwitch: a step competes because it is told to.  The same outputs and parameter gradients whether the
 * caller has a use for dx or not, and an inference under gradients is still the router's. */
/* evidence properties: C.14 C.15 */
START_TEST(competition_is_not_a_matter_of_gradients)
{
    step *l = step_new(5, 4, 5, 4, 2), *m = step_new(5, 4, 5, 4, 2);
    draw_step(l, 13);
    draw_step(m, 13);
    m->router = true;
    OK(run(m, m->theta));
    ck_assert_msg(memcmp(l->out.index, m->out.index, 10 * sizeof(size_t)) != 0,
                  "the router and the competition agree: this draw says nothing");
    for (size_t k = 0; k < 20; k++) l->g[k] = poison; /* dx, which nobody has asked for */
    double *before = room(l->n), y[20];
    memcpy(y, l->out.y, sizeof y);
    OK(run(l, l->theta));
    SAME(l->out.y, y, 20, "C.14: y, evaluated once more");
    OK(back(l));
    memcpy(before, l->g, l->n * sizeof *before);
    ck_assert_msg(l->scalar[BALANCE] > 0 && l->scalar[DISTILL] > 0, "C.14: no competition took place");
    memset(m->dy, 0, 20 * sizeof(double)); /* the router's step keeps its terms when no gradient is wanted of y */
    ck_assert_msg(m->scalar[BALANCE] > 0, "C.14: a step by the router without balance");
    free(before), step_free(l), step_free(m);
}
END_TEST

/* Upcycled experts: copies tie exactly, experts 0 .. K-1 win every token, the diversity is 1 and pulls nowhere, the
 * balance is 1 for K winners of f = 1/K and uniform P; the router learns towards the uniform target alone. */
/* evidence properties: C.14 */
START_TEST(upcycled_experts_tie)
{
    enum { T = 3, d = 4, h = 5, N = 4, K = 2 };
    const size_t size[BLOCKS] = {0, 0, 0, h * d, h, d * h, d};
    for (int first = 0; first < 2; first++) {
        step *l = step_new(T, d, h, N, K);
        if (first)
            l->opt.version = SMOE_VERSION_1, l->opt.response = SMOE_RESPONSE_NORM,
            l->opt.weights = SMOE_WEIGHTS_SOFTMAX;
        draw_step(l, 41);
        for (int b = W1; b <= B2; b++)
            for (size_t i = 1; i < N; i++)
                memcpy(l->theta + l->at[b] + i * size[b], l->theta + l->at[b], size[b] * sizeof(double));
        OK(run(l, l->theta));
        for (size_t t = 0; t < T; t++)
            ck_assert_msg(l->out.index[K * t] == 0 && l->out.index[K * t + 1] == 1 && l->out.margin[t] == 0 &&
                              l->out.weight[K * t] == 0.5,
                          "C.14: copies tie, 0 and 1 win with 1/2 each");
        ck_assert_msg(near(l->scalar[BALANCE], 1, 4), "C.14: balance of copies %.17g", l->scalar[BALANCE]);
        ck_assert_msg(first || near(l->scalar[DIVERSITY], 1, 4), "C.14: diversity of copies %.17g",
                      l->scalar[DIVERSITY]);
        only(l, DIVERSITY);
        for (size_t k = 0; k < l->n; k++)
            ck_assert_msg(fabs(l->g[k]) <= 0x1p-48, "C.14: copies are a stationary point, not %g", l->g[k]);
        step_free(l);
    }
}
END_TEST

/* The total is the terms by their coefficients, left to right, forward and gradient. */
/* evidence properties: C.14 */
START_TEST(total_and_terms)
{
    step *l = variant_step(_i, 3);
    const smoe_compete_options *o = &l->opt;
    const double *v = l->scalar,
                 compete = o->c_task * v[TASK] + o->c_distill * v[DISTILL] + o->c_diversity * v[DIVERSITY] +
                           o->c_balance * v[BALANCE],
                 router = o->c_task * v[TASK] + o->c_balance * v[BALANCE] + o->c_zloss * v[ZLOSS];
    ck_assert_msg(v[LOSS] == (l->router ? router : compete), "%s: total %a", variants[_i].name, v[LOSS]);
    only(l, LOSS);
    double *g = room(l->n);
    memcpy(g, l->g, l->n * sizeof *g);
    l->cot[LOSS] = 0;
    l->cot[TASK] = o->c_task, l->cot[DISTILL] = o->c_distill, l->cot[DIVERSITY] = o->c_diversity;
    l->cot[BALANCE] = o->c_balance, l->cot[ZLOSS] = o->c_zloss;
    OK(back(l));
    SAME(l->g, g, l->n, "C.14: gradient by terms");
    free(g), step_free(l);
}
END_TEST

/* Without the task a training step is C.8's, bit for bit, and its task is y's distance from the target. */
/* evidence properties: C.8 C.14 */
START_TEST(without_task_it_is_the_layer)
{
    for (int router = 0; router < 2; router++) {
        step *l = step_new(4, 4, 5, 4, 2), *m = step_new(4, 4, 5, 4, 2);
        l->router = router;
        l->opt.c_task = 0;
        draw_step(l, 17);
        l->cot[TASK] = 0;
        OK(back(l));
        memcpy(m->theta, l->theta, l->n * sizeof(double));
        const smoe_layer_in in = inputs(m, m->theta);
        double *g = m->g,
               *work = room(smoe_router_step_vjp_work(&m->shape) + smoe_compete_step_vjp_work(&m->shape, &l->opt));
        const size_t *at = m->at;
        const smoe_layer_grad grad = {g, g + at[WR], g + at[BR], g + at[W1], g + at[B1], g + at[W2], g + at[B2]};
        const smoe_compete_cot cot = {l->dy,           l->dweight,   l->cot[LOSS], l->cot[DISTILL], l->cot[DIVERSITY],
                                      l->cot[BALANCE], l->cot[ZLOSS]};
        if (router) {
            OK(smoe_router_step(&m->shape, &l->opt, &in, &m->out, &m->rkept));
            OK(smoe_router_step_vjp(&m->shape, &l->opt, &in, &m->out, &m->rkept, &cot, &grad, work));
        } else {
            OK(smoe_compete_step(&m->shape, &l->opt, &in, &m->out, &m->kept));
            OK(smoe_compete_step_vjp(&m->shape, &l->opt, &in, &m->out, &m->kept, &cot, &grad, work));
        }
        SAME(l->out.y, m->out.y, 16, "C.14 against C.8: y");
        ck_assert_msg(l->scalar[LOSS] == m->scalar[LOSS], "C.14 against C.8: %a, %a", l->scalar[LOSS], m->scalar[LOSS]);
        SAME(l->g, m->g, l->n, "C.14 against C.8: gradient");
        double task = 0;
        for (size_t k = 0; k < 16; k++) task += (l->out.y[k] - l->target[k]) * (l->out.y[k] - l->target[k]) / 16;
        ck_assert_msg(near(l->scalar[TASK], task, 16), "C.14: task %g", l->scalar[TASK]);
        free(work), step_free(l), step_free(m);
    }
}
END_TEST

/* Version 2's defaults as compete.route and compete.diversity have them: y, s and the winners' weights bit for bit. */
/* evidence properties: C.14 */
START_TEST(the_step_is_its_parts)
{
    enum { T = 4, d = 4, N = 5, K = 3 };
    for (int first = 0; first < 2; first++) {
        step *l = step_new(T, d, 5, N, K);
        if (first)
            l->opt.version = SMOE_VERSION_1, l->opt.response = SMOE_RESPONSE_NORM,
            l->opt.weights = SMOE_WEIGHTS_SOFTMAX;
        draw_step(l, 19);
        double s[T * N], weight[T * K], margin[T], y[T * d], value[K], p[T * N], q[T * N], f[N], P[N], loss,
            work[4 * N];
        size_t index[T * K], count[N];
        OK((first ? smoe_route_v1 : smoe_route)(T, N, K, d, l->kept.o, s, index, weight, margin, y, value));
        SAME(l->out.s, s, T * N, "C.14 s");
        SAME(l->out.y, y, T * d, "C.14 y");
        SAME(l->out.weight, weight, T * K, "C.14 weight");
        OK(first ? smoe_distill_v1(T, N, K, l->out.r, s, index, p, q, &loss, work)
                 : smoe_distill(T, N, K, l->opt.theta, l->out.r, s, index, p, q, &loss));
        ck_assert_msg(l->scalar[DISTILL] == loss, "C.14 distill: %a, %a", l->scalar[DISTILL], loss);
        OK(smoe_compete_balance(SMOE_COUNT_ALL, 1, T, N, K, T * K, s, index, count, f, q, P, &loss));
        ck_assert_msg(l->scalar[BALANCE] == loss, "C.14 balance: %a, %a", l->scalar[BALANCE], loss);
        l->opt.count = SMOE_COUNT_FIRST;
        OK(run(l, l->theta));
        OK(smoe_compete_balance(SMOE_COUNT_FIRST, 1, T, N, K, T, s, index, count, f, q, P, &loss));
        ck_assert_msg(l->scalar[BALANCE] == loss, "C.14 balance, first choices: %a, %a", l->scalar[BALANCE], loss);
        step_free(l);
    }
}
END_TEST

/* Inference is the SMoE layer: a step by the router gives its y, index, weights and margin bit for bit, in every
 * order. */
/* evidence properties: C.15 */
START_TEST(inference_is_the_layer)
{
    step *l = step_new(5, 4, 5, 4, 2), *m = step_new(5, 4, 5, 4, 2);
    l->router = true;
    l->shape.order = m->shape.order = (smoe_weight_order)_i;
    draw_step(l, 43);
    const smoe_layer_in in = inputs(l, l->theta);
    const smoe_layer_out out = {m->out.y, m->out.r, m->out.index, m->out.weight, m->out.margin};
    OK(smoe_layer(&m->shape, &in, &out, &m->rkept.layer));
    SAME(l->out.y, m->out.y, 20, "C.15 y");
    SAME(l->out.weight, m->out.weight, 10, "C.15 weight");
    SAME(l->out.margin, m->out.margin, 5, "C.15 margin");
    COUNTS(l->out.index, m->out.index, 10, "C.15 index");
    step_free(l), step_free(m);
}
END_TEST

/* A few tokens at a time: every variant's outputs and gradients are those of all at once, bit for bit. */
/* evidence properties: C.14 */
START_TEST(chunks_change_no_bit)
{
    step *l = variant_step(_i, 29), *m = variant_step(_i, 29);
    for (size_t chunk = 1; chunk <= 4; chunk++) {
        m->opt.chunk = chunk;
        poison_all(m->n, m->g);
        OK(run(m, m->theta));
        OK(back(m));
        SAME(m->scalar, l->scalar, SCALARS, "C.14 in chunks");
        SAME(m->out.y, l->out.y, l->shape.T * l->shape.d, "C.14 in chunks: y");
        SAME(m->out.s, l->out.s, l->shape.T * l->shape.N, "C.14 in chunks: s");
        SAME(m->g, l->g, l->n, "C.14 in chunks: gradient");
    }
    step_free(l), step_free(m);
}
END_TEST

/* Experts renamed (the reverse): y and weights follow bit for bit, scalars and gradients within rounding. */
/* evidence properties: C.14 */
START_TEST(step_symmetry)
{
    enum { T = 5, N = 4, K = 2, d = 4, h = 5 };
    step *l = step_new(T, d, h, N, K), *m = step_new(T, d, h, N, K);
    l->opt = m->opt = variants[_i].opt;
    l->router = m->router = variants[_i].router;
    draw_step(l, 23);
    draw_step(m, 23);
    const size_t size[BLOCKS] = {T * d, d, 1, h * d, h, d * h, d};
    for (int b = WR; b < BLOCKS; b++)
        for (size_t i = 0; i < N; i++)
            memcpy(m->theta + m->at[b] + i * size[b], l->theta + l->at[b] + (N - 1 - i) * size[b],
                   size[b] * sizeof(double));
    OK(run(m, m->theta));
    OK(back(m));
    SAME(m->out.y, l->out.y, T * d, "C.14, experts renamed: y");
    SAME(m->out.weight, l->out.weight, T * K, "C.14, experts renamed: weight");
    for (int k = 0; k < SCALARS; k++)
        ck_assert_msg(near(m->scalar[k], l->scalar[k], 16), "%s, experts renamed: %s is %.17g, before %.17g",
                      variants[_i].name, scalar_name[k], m->scalar[k], l->scalar[k]);
    for (int b = WR; b < BLOCKS; b++)
        for (size_t i = 0; i < N; i++)
            for (size_t e = 0; e < size[b]; e++)
                ck_assert_msg(fabs(m->g[m->at[b] + i * size[b] + e] - l->g[l->at[b] + (N - 1 - i) * size[b] + e]) <=
                                  0x1p-45,
                              "%s, experts renamed: d_%s", variants[_i].name, block_name[b]);
    step_free(l), step_free(m);
}
END_TEST

/* Version 1's target is a distribution over the winners; a router that knows it has loss 0, one whose logits are
 * handed over in descending order (PermutedScores) does not; shifts of r or s change nothing; both divergences are
 * at least 0. */
/* evidence properties: C.9 */
START_TEST(version_1_properties)
{
    enum { T = 4, N = 6, K = 3 };
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t state = seed;
        double *s = drawn(&state, 3, T * N), *r = drawn(&state, 3, T * N), p[T * N], q[T * N], loss, other, margin;
        double work[4 * N], value[K], ds[T * N];
        size_t index[T * K];
        for (size_t t = 0; t < T; t++) OK(smoe_topk(N, K, s + t * N, index + t * K, value, &margin));
        for (int distance = MSE; distance < WINNERS; distance++) {
            const lesson a = {distance, T, N, K, index, NULL};
            double moved[T * N], dr[T * N];
            OK(teach(&a, r, s, p, q, &loss, work));
            ck_assert_msg(loss >= 0, "%s: %g", distance_name[distance], loss);
            for (size_t k = 0; k < T * N; k++) moved[k] = r[k] + 8;
            OK(teach(&a, moved, s, p, q, &other, work));
            ck_assert_msg(fabs(other - loss) <= 0x1p-46, "%s: r shifted", distance_name[distance]);
            for (size_t k = 0; k < T * N; k++) moved[k] = s[k] - 8;
            OK(teach(&a, r, moved, p, q, &other, work));
            ck_assert_msg(fabs(other - loss) <= 0x1p-46, "%s: s shifted", distance_name[distance]);
            OK(teach_vjp(&a, r, s, p, q, 1, dr, ds, work));
            for (size_t t = 0; t < T; t++) {
                ck_assert_msg(fabs(smoe_sum(N, dr + t * N)) <= 0x1p-48 && fabs(smoe_sum(N, ds + t * N)) <= 0x1p-48,
                              "%s: the gradient of a softmax sums to 0", distance_name[distance]);
                ck_assert_msg(fabs(smoe_sum(N, q + t * N) - 1) <= 0x1p-50, "C.9: q is no distribution");
                for (size_t i = 0; i < N; i++) {
                    bool won = false;
                    for (size_t j = 0; j < K; j++) won = won || index[t * K + j] == i;
                    ck_assert_msg(won ? q[t * N + i] > 0 : q[t * N + i] == 0 && ds[t * N + i] == 0,
                                  "C.9: a loser has a part in the target");
                }
            }
        }
        for (size_t k = 0; k < T * N; k++) r[k] = q[k] > 0 ? s[k] : s[k] - 800; /* ln of the target */
        OK(smoe_distill_v1(T, N, K, r, s, index, p, q, &loss, work));
        ck_assert_msg(loss <= 0x1p-100, "C.9: a router that knows the target has loss %g", loss);
        for (size_t t = 0; t < T; t++) { /* the same logits, the largest first */
            double sorted[N];
            size_t order[N];
            OK(smoe_topk(N, N, r + t * N, order, sorted, &margin));
            memcpy(r + t * N, sorted, sizeof sorted);
        }
        OK(smoe_distill_v1(T, N, K, r, s, index, p, q, &loss, work));
        ck_assert_msg(loss > 1e-3, "C.9: permuted scores have loss %g", loss);
        free(s), free(r);
    }
}
END_TEST

/* Corners of C.9: K = 1 has a constant target; K = N is version 2's first term on the same target; below the clamp a
 * winner has no gradient of its own, and far-away logits leave the divergence finite. */
/* evidence properties: C.9 */
START_TEST(version_1_corners)
{
    enum { N = 4 };
    const double r[] = {0.5, -0.25, 1, 0}, s[] = {2, 1, 0.5, -1}, far[] = {-800, 800, 0, 0}, apart[] = {-9, 20, 0, -9};
    const size_t all[] = {0, 1, 2, 3};
    double p[N], q[N], loss, other, ds[N], work[4 * N];
    OK(smoe_distill_v1(1, N, 1, r, s, all, p, q, &loss, work));
    OK(smoe_distill_v1_target_vjp(1, N, 1, p, q, all, 1, ds, work));
    ck_assert_msg(q[0] == 1 && is_zero(N, ds), "C.9 with K = 1: a target that learns");
    OK(smoe_distill_v1(1, N, N, r, s, all, p, q, &loss, work));
    OK(smoe_distill(1, N, N, 0, r, s, all, p, q, &other));
    ck_assert_msg(near(loss, other, 8), "C.9 with K = N: %g, version 2's first term %g", loss, other);
    OK(smoe_distill_kl(1, N, 2, far, s, all, p, q, &loss, work)); /* p_0 underflows: ln q - ln p does not */
    ck_assert_msg(p[0] == 0 && loss > 1000 && isfinite(loss), "C.9 kl: %g", loss);
    const size_t two[] = {1, 2};
    OK(smoe_distill_kl_clamped(1, N, 2, r, far, two, p, q, &loss, work)); /* q_2 = e^-800 = 0 */
    OK(smoe_distill_kl_clamped_target_vjp(1, N, 2, p, q, two, 1, ds, work));
    ck_assert_msg(isfinite(loss) && is_zero(N, ds), "C.9 kl-clamped: a saturated target learns");
    OK(smoe_distill_kl_clamped(1, N, 2, r, apart, two, p, q, &loss, work)); /* q_2 = e^-20 = 2e-9 */
    const double want = -p[0] * log(1e6) - p[2] * log(1e6) - p[3] * log(1e6);
    double entropy = 0;
    for (size_t i = 0; i < N; i++) entropy -= p[i] * log(p[i]);
    ck_assert_msg(fabs(loss + want + entropy) < 1e-8, "C.9 kl-clamped: the clamp counts ln 1e6: %.17g", loss);
    OK(smoe_distill_kl_clamped_target_vjp(1, N, 2, p, q, two, 1, ds, work));
    ck_assert_msg(fabs(ds[1]) < 1e-8 && fabs(ds[2]) < 1e-8, "C.9 kl-clamped: a target below the clamp learns, %g",
                  ds[2]);
}
END_TEST

/* The batch is one sequence; the loss over sequences is the mean of theirs; f over the tokens is K times f; K = N:
 * 1. */
/* evidence properties: C.10 */
START_TEST(balance_properties)
{
    enum { T = 6, N = 5, K = 2 };
    for (uint64_t seed = 1; seed <= 10; seed++) {
        uint64_t state = seed;
        double *s = drawn(&state, 3, T * N), f[T * N], q[T * N], P[T * N], loss, part[3], tokens, margin, value[N];
        size_t index[T * N], count[N];
        for (size_t t = 0; t < T; t++) OK(smoe_topk(N, K, s + t * N, index + t * K, value, &margin));
        OK(smoe_compete_balance(SMOE_COUNT_ALL, 3, 2, N, K, 2 * K, s, index, count, f, q, P, &loss));
        for (size_t b = 0; b < 3; b++)
            OK(smoe_compete_balance(SMOE_COUNT_ALL, 1, 2, N, K, 2 * K, s + 2 * b * N, index + 2 * b * K, count, f, q, P,
                                    part + b));
        ck_assert_msg(near(loss, (part[0] + part[1] + part[2]) / 3, 4), "C.10: mean over sequences");
        OK(smoe_compete_balance(SMOE_COUNT_ALL, 3, 2, N, K, 2, s, index, count, f, q, P, &tokens));
        ck_assert_msg(near(tokens, K * loss, 4), "C.10: over the tokens %g, over the choices %g", tokens, loss);
        OK(smoe_compete_balance(SMOE_COUNT_ALL, 1, T, N, K, T * K, s, index, count, f, q, P, &loss));
        OK(smoe_balance_loss(1, T, N, s, f, q, P, &tokens));
        ck_assert_msg(loss == tokens, "C.10 is B.4 on the responses");
        for (size_t t = 0; t < T; t++) OK(smoe_topk(N, N, s + t * N, index + t * N, value, &margin));
        OK(smoe_compete_balance(SMOE_COUNT_ALL, 1, T, N, N, T * N, s, index, count, f, q, P, &loss));
        ck_assert_msg(near(loss, 1, 8), "C.10 with K = N: %.17g", loss);
        free(s);
    }
}
END_TEST

/* share 0 is the response and 1 the router, the other one without gradient; the mix is linear. */
/* evidence properties: C.11 */
START_TEST(mix_properties)
{
    enum { n = 7 };
    uint64_t state = 3;
    double *a = drawn(&state, 3, n), *r = drawn(&state, 3, n), s[n], da[n], dr[n];
    OK(smoe_mix_scores(n, 0, a, r, s));
    SAME(s, a, n, "C.11, share 0");
    OK(smoe_mix_scores(n, 1, a, r, s));
    SAME(s, r, n, "C.11, share 1");
    OK(smoe_mix_scores_vjp(n, 1, a, da, dr));
    ck_assert_msg(is_zero(n, da), "C.11, share 1: the response has a gradient");
    SAME(dr, a, n, "C.11, share 1: dr");
    OK(smoe_mix_scores(n, 0.5, a, a, s));
    SAME(s, a, n, "C.11: the mix of equals");
    OK(smoe_mix_scores_vjp(n, 0.25, a, da, dr));
    for (size_t k = 0; k < n; k++) ck_assert_msg(near(da[k] + dr[k], a[k], 2), "C.11: the shares sum to 1");
    OK(smoe_mix_scores(0, 0.5, a, r, s));
    free(a), free(r);
}
END_TEST

/* Falling in t, in (0, 2/3]; a coin below it competes and no other; over many coins the share is lambda. */
/* evidence properties: C.12 */
START_TEST(lambda_properties)
{
    enum { n = 1000 };
    double *t = room(n), *u = room(n), *lambda = room(n);
    size_t *compete = calloc(n, sizeof *compete);
    uint64_t state = 5;
    for (size_t k = 0; k < n; k++) t[k] = (double)k, u[k] = (slopes_draw(&state) + 1) / 2;
    OK(smoe_compete_lambda(n, t, u, lambda, compete));
    for (size_t k = 0; k < n; k++) {
        ck_assert_msg(lambda[k] > 0 && lambda[k] <= 2.0 / 3 && (k == 0 || lambda[k] < lambda[k - 1]), "C.12: lambda");
        ck_assert_msg(compete[k] == (u[k] < lambda[k]), "C.12: the coin %g, lambda %g", u[k], lambda[k]);
        ck_assert_msg(near(2 / lambda[k] - 2, sqrt(t[k] + 1), 64), "C.12: not the root");
        t[k] = 3;
    }
    OK(smoe_compete_lambda(n, t, u, lambda, compete));
    size_t heads = 0;
    for (size_t k = 0; k < n; k++) heads += compete[k];
    ck_assert_msg(heads > 430 && heads < 570, "C.12: %zu of 1000 coins at lambda 1/2", heads);
    OK(smoe_compete_lambda(1, (double[]){0x1p+1000}, u, lambda, compete));
    ck_assert_msg(lambda[0] > 0 && lambda[0] < 0x1p-490, "C.12: at the end of time %g", lambda[0]);
    OK(smoe_compete_lambda(0, t, u, lambda, compete));
    free(t), free(u), free(lambda), free(compete);
}
END_TEST

static size_t total(size_t n, const size_t *x)
{
    size_t sum = 0;
    for (size_t k = 0; k < n; k++) sum += x[k];
    return sum;
}

/* On random tables: never more than cap; every head is a competition or lost; mended, the load is the number of
 * layers that compete; published, it may count one twice, and the two agree where nothing collides (at most cap
 * layers: nothing even moves). */
/* evidence properties: C.13 */
START_TEST(schedule_properties)
{
    size_t collisions = 0, moves = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        uint64_t state = seed;
        const size_t L = 1 + seed % 7, S = 4 + seed % 9, cap = 1 + seed % 3, W = S / 4;
        double *u = drawn(&state, 1, L * S);
        size_t *x = calloc(2 * (L * S + S + L), sizeof *x), *load = x + L * S, *lost = load + S, *y = lost + L;
        size_t *again = y + L * S, *gone = again + S;
        for (size_t k = 0; k < L * S; k++) u[k] = (u[k] + 1) / 2;
        OK(smoe_schedule(SMOE_COLLISION_MENDED, L, S, cap, 0.4, 0.25, u, x, load, lost));
        OK(smoe_schedule(SMOE_COLLISION_PUBLISHED, L, S, cap, 0.4, 0.25, u, y, again, gone));
        for (size_t i = 0; i < S; i++) {
            size_t mended = 0, published = 0;
            for (size_t l = 0; l < L; l++) mended += x[l * S + i], published += y[l * S + i];
            ck_assert_msg(load[i] == mended && mended <= cap, "C.13: %zu layers in step %zu, counted %zu", mended, i,
                          load[i]);
            ck_assert_msg(again[i] >= published && again[i] <= cap, "C.13, published: load %zu", again[i]);
            ck_assert_msg(i >= W || load[i] + again[i] == 0, "C.13: competition in the warm-up");
        }
        bool moved = false;
        for (size_t l = 0; l < L; l++) {
            size_t heads = 0;
            for (size_t i = W; i < S; i++) heads += u[l * S + i] < 0.4;
            for (size_t i = 0; i < S; i++) moved = moved || x[l * S + i] != (i >= W && u[l * S + i] < 0.4);
            ck_assert_msg(total(S, x + l * S) + lost[l] == heads, "C.13: a head is neither a competition nor lost");
            ck_assert_msg(total(S, y + l * S) + gone[l] == heads, "C.13, published: the same");
        }
        ck_assert_msg(L > cap || !moved, "C.13: with no more layers than the cap nothing moves");
        moves += moved;
        collisions += memcmp(x, y, (L * S + S + L) * sizeof *x) != 0;
        free(u), free(x);
    }
    ck_assert_msg(moves > 20 && collisions > 5, "C.13: %zu moves and %zu collisions in 200 tables", moves, collisions);
}
END_TEST

/* cap 0 loses every head; 40 layers at rate 0.05 under a cap of 1 starve the last one; 26 under 3 lose next to
 * nothing. */
/* evidence properties: C.13 */
START_TEST(schedule_starves_late_layers)
{
    enum { L = 40, S = 400 };
    uint64_t state = 9;
    double *u = drawn(&state, 1, L * S);
    size_t *x = calloc(L * S + S + L, sizeof *x), *load = x + L * S, *lost = load + S;
    for (size_t k = 0; k < L * S; k++) u[k] = (u[k] + 1) / 2;
    OK(smoe_schedule(SMOE_COLLISION_MENDED, L, S, 1, 0.05, 0, u, x, load, lost));
    ck_assert_msg(total(S, x) > 10 && lost[0] == 0, "C.13: the first layer has all of its heads");
    ck_assert_msg(total(S, x + (L - 1) * S) == 0 && lost[L - 1] > 10, "C.13: the last layer is not starved");
    OK(smoe_schedule(SMOE_COLLISION_MENDED, 26, S, 3, 0.05, 0.05, u, x, load, lost));
    ck_assert_msg(total(26, lost) == 0, "C.13: %zu of 26 layers' heads are lost under a cap of 3", total(26, lost));
    OK(smoe_schedule(SMOE_COLLISION_MENDED, 2, S, 0, 0.5, 0, u, x, load, lost));
    ck_assert_msg(total(2 * S, x) == 0 && lost[0] > 100, "C.13 with cap 0");
    OK(smoe_schedule(SMOE_COLLISION_MENDED, 2, S, 2, 1, 1, u, x, load, lost));
    ck_assert_msg(total(2 * S, x) == 0 && total(2, lost) == 0, "C.13: nothing but warm-up");
    OK(smoe_schedule(SMOE_COLLISION_MENDED, 2, S, 2, 1, 0, u, x, load, lost));
    ck_assert_msg(total(2 * S, x) == 2 * S, "C.13 with rate 1: every coin is a head");
    OK(smoe_schedule(SMOE_COLLISION_MENDED, 0, 0, 2, 1, 0, u, x, load, lost));
    free(u), free(x);
}
END_TEST

/* --- errors --- */

static const double bad[] = {INFINITY, -INFINITY, NAN};

START_TEST(lesson_errors)
{
    enum { T = 2, N = 3, K = 2 };
    double r[T * N] = {0, 1, 2, 2, 1, 0}, s[T * N] = {1, 2, 3, 3, 2, 1}, p[T * N], q[T * N], loss = poison, work[4 * N];
    double g[T * N], d[T * N];
    const size_t index[] = {2, 1, 0, 1}, out_of_range[] = {2, 3, 0, 1};
    for (int distance = MSE; distance < DISTANCES; distance++) {
        lesson a = {distance, T, N, K, index, NULL};
        IS(SMOE_EINVAL, teach(&(lesson){distance, 0, N, K, index, NULL}, r, s, p, q, &loss, work));
        IS(SMOE_EINVAL, teach(&(lesson){distance, T, N, 0, index, NULL}, r, s, p, q, &loss, work));
        IS(SMOE_EINVAL, teach(&(lesson){distance, T, N, 4, index, NULL}, r, s, p, q, &loss, work));
        IS(SMOE_EDOM, teach(&(lesson){distance, T, N, K, out_of_range, NULL}, r, s, p, q, &loss, work));
        for (size_t k = 0; k < 3; k++) {
            double keep = r[3];
            r[3] = bad[k];
            IS(SMOE_EDOM, teach(&a, r, s, p, q, &loss, work));
            r[3] = keep, keep = s[5], s[5] = bad[k];
            IS(SMOE_EDOM, teach(&a, r, s, p, q, &loss, work));
            s[5] = keep;
        }
        ck_assert_msg(loss == poison, "%s wrote a loss", distance_name[distance]);
        OK(teach(&a, r, s, p, q, &loss, work));
        for (size_t k = 0; k < 3; k++) {
            poison_all(T * N, g);
            IS(SMOE_EDOM, teach_vjp(&a, r, s, p, q, bad[k], g, d, work));
            ck_assert_msg(untouched(T * N, g), "%s: a gradient was written", distance_name[distance]);
        }
        IS(SMOE_EINVAL, teach_vjp(&(lesson){distance, 0, N, K, index, NULL}, r, s, p, q, 1, g, d, work));
        loss = poison;
    }
    OK(smoe_distill_v1(T, N, K, r, s, index, p, q, &loss, work));
    for (size_t k = 0; k < 3; k++) {
        poison_all(T * N, g);
        double keep = q[4];
        q[4] = bad[k];
        IS(SMOE_EDOM, smoe_distill_v1_vjp(T, N, p, q, 1, g, work));
        IS(SMOE_EDOM, smoe_distill_v1_target_vjp(T, N, K, p, q, index, 1, g, work));
        IS(SMOE_EDOM, smoe_distill_kl_vjp(T, N, p, q, 1, g));
        IS(SMOE_EDOM, smoe_distill_kl_target_vjp(T, N, K, r, s, q, index, 1, g, work));
        IS(SMOE_EDOM, smoe_distill_kl_clamped_vjp(T, N, r, p, q, 1, g, work));
        IS(SMOE_EDOM, smoe_distill_kl_clamped_target_vjp(T, N, K, p, q, index, 1, g, work));
        q[4] = keep, keep = p[4], p[4] = bad[k];
        IS(SMOE_EDOM, smoe_distill_v1_vjp(T, N, p, q, 1, g, work));
        IS(SMOE_EDOM, smoe_distill_kl_vjp(T, N, p, q, 1, g));
        IS(SMOE_EDOM, smoe_distill_kl_clamped_vjp(T, N, r, p, q, 1, g, work));
        p[4] = keep, keep = r[4], r[4] = bad[k];
        IS(SMOE_EDOM, smoe_distill_kl_clamped_vjp(T, N, r, p, q, 1, g, work));
        IS(SMOE_EDOM, smoe_distill_kl_target_vjp(T, N, K, r, s, q, index, 1, g, work));
        r[4] = keep;
        ck_assert_msg(untouched(T * N, g), "C.9: a gradient was written");
    }
    IS(SMOE_EINVAL, smoe_distill_v1_vjp(T, 0, p, q, 1, g, work));
    IS(SMOE_EINVAL, smoe_distill_kl_vjp(T, 0, p, q, 1, g));
    IS(SMOE_EINVAL, smoe_distill_kl_clamped_vjp(T, 0, r, p, q, 1, g, work));
    /* what no p can be, but a caller may hand over: the products overflow */
    for (size_t k = 0; k < T * N; k++) p[k] = k % 2 ? 1e300 : -1e300;
    IS(SMOE_EOVRFLW, smoe_distill_v1_vjp(T, N, p, q, 1e300, g, work));
    IS(SMOE_EOVRFLW, smoe_distill_v1_target_vjp(T, N, K, p, q, index, 1e300, g, work));
    IS(SMOE_EOVRFLW, smoe_distill_kl_vjp(T, N, p, q, 1e300, g));
    IS(SMOE_EOVRFLW, smoe_distill_kl_clamped_target_vjp(T, N, K, p, q, index, 1e300, g, work));
}
END_TEST

/* Scores at both ends of the range: their difference is no double. */
START_TEST(lesson_overflows)
{
    const double M = 0x1.fffffffffffffp+1023, r[] = {M, -M}, s[] = {-M, M}, q[] = {0.5, 0.5};
    const size_t index[] = {1, 0};
    double p[2], qq[2], loss, l[2], g[2], work[8];
    IS(SMOE_EOVRFLW, smoe_log_ratio(2, 2, r, s, index, l));
    IS(SMOE_EOVRFLW, smoe_distill_kl(1, 2, 2, r, s, index, p, qq, &loss, work));
    IS(SMOE_EOVRFLW, smoe_distill_kl_target_vjp(1, 2, 2, r, s, q, index, 1, g, work));
    IS(SMOE_EOVRFLW, smoe_distill_kl_clamped(1, 2, 2, r, s, index, p, qq, &loss, work));
    IS(SMOE_EOVRFLW, smoe_distill_kl_clamped_vjp(1, 2, r, q, q, 1, g, work));
    const double small[] = {1, 0};
    IS(SMOE_EOVRFLW, smoe_distill_kl_target_vjp(1, 2, 2, (double[]){-1000, 0}, small, q, index, M, g, work));
    IS(SMOE_EOVRFLW, smoe_distill_kl_clamped_vjp(1, 2, (double[]){-1000, 0}, q, q, M, g, work));
}
END_TEST

START_TEST(target_errors)
{
    double s[] = {1, 2, 3}, q[3], work[6], dq[] = {1, 2, 3}, ds[3], l[2];
    const size_t index[] = {2, 1}, wrong[] = {2, 3};
    poison_all(3, q), poison_all(3, ds), poison_all(2, l);
    IS(SMOE_EINVAL, smoe_target_masked(3, 0, s, index, q, work));
    IS(SMOE_EINVAL, smoe_target_masked(3, 4, s, index, q, work));
    IS(SMOE_EDOM, smoe_target_masked(3, 2, s, wrong, q, work));
    IS(SMOE_EINVAL, smoe_target_masked_vjp(3, 0, s, index, dq, ds, work));
    IS(SMOE_EINVAL, smoe_target_masked_vjp(3, 4, s, index, dq, ds, work));
    IS(SMOE_EDOM, smoe_target_masked_vjp(3, 2, s, wrong, dq, ds, work));
    IS(SMOE_EINVAL, smoe_log_ratio(3, 0, s, s, index, l));
    IS(SMOE_EINVAL, smoe_log_ratio(3, 4, s, s, index, l));
    IS(SMOE_EDOM, smoe_log_ratio(3, 2, s, s, wrong, l));
    for (size_t k = 0; k < 3; k++) {
        const double spoilt[] = {1, bad[k], 2};
        IS(SMOE_EDOM, smoe_target_masked(3, 2, spoilt, index, q, work));
        IS(SMOE_EDOM, smoe_target_masked_vjp(3, 2, spoilt, index, dq, ds, work));
        IS(SMOE_EDOM, smoe_target_masked_vjp(3, 2, s, index, spoilt, ds, work));
        IS(SMOE_EDOM, smoe_log_ratio(3, 2, spoilt, s, index, l));
        IS(SMOE_EDOM, smoe_log_ratio(3, 2, s, spoilt, index, l));
    }
    ck_assert_msg(untouched(3, q) && untouched(3, ds) && untouched(2, l), "C.9: something was written");
}
END_TEST

START_TEST(balance_errors)
{
    double s[] = {1, 2, 3, 3, 2, 1}, f[6], q[6], P[6], loss = poison, g[6], work[9];
    const size_t index[] = {2, 1, 0, 1}, wrong[] = {2, 1, 3, 1};
    size_t count[3];
    const smoe_count all = SMOE_COUNT_ALL, first = SMOE_COUNT_FIRST;
    IS(SMOE_EINVAL, smoe_compete_balance(all, 0, 2, 3, 2, 4, s, index, count, f, q, P, &loss));
    IS(SMOE_EINVAL, smoe_compete_balance(all, 1, 0, 3, 2, 4, s, index, count, f, q, P, &loss));
    IS(SMOE_EINVAL, smoe_compete_balance(all, 1, 2, 3, 0, 4, s, index, count, f, q, P, &loss));
    IS(SMOE_EINVAL, smoe_compete_balance(all, 1, 2, 3, 4, 4, s, index, count, f, q, P, &loss));
    IS(SMOE_EINVAL, smoe_compete_balance(all, 1, 2, 3, 2, 0, s, index, count, f, q, P, &loss));
    IS(SMOE_EINVAL, smoe_compete_balance((smoe_count)7, 1, 2, 3, 2, 4, s, index, count, f, q, P, &loss));
    IS(SMOE_EDOM, smoe_compete_balance(all, 1, 2, 3, 2, 4, s, wrong, count, f, q, P, &loss));
    IS(SMOE_EDOM, smoe_compete_balance(all, 1, 2, 3, 2, 1, s, index, count, f, q, P, &loss)); /* two of one choice */
    for (size_t k = 0; k < 3; k++) {
        const double keep = s[4];
        s[4] = bad[k];
        IS(SMOE_EDOM, smoe_compete_balance(first, 1, 2, 3, 2, 2, s, index, count, f, q, P, &loss));
        s[4] = keep;
    }
    ck_assert_msg(loss == poison, "C.10 wrote a loss");
    IS(SMOE_EINVAL, smoe_compete_fractions((smoe_count)7, 2, 3, 2, 4, index, count, f));
    IS(SMOE_EINVAL, smoe_compete_fractions(first, 2, 3, 0, 4, index, count, f));
    IS(SMOE_EINVAL, smoe_compete_balance_vjp(0, 2, 3, f, q, 1, g, work));
    IS(SMOE_EINVAL, smoe_compete_balance_vjp(1, 0, 3, f, q, 1, g, work));
    IS(SMOE_EINVAL, smoe_compete_balance_vjp(1, 2, 0, f, q, 1, g, work));
    OK(smoe_compete_balance(first, 1, 2, 3, 2, 2, s, index, count, f, q, P, &loss));
    IS(SMOE_EDOM, smoe_compete_balance_vjp(1, 2, 3, f, q, NAN, g, work));
}
END_TEST

START_TEST(mix_and_weights_errors)
{
    const double M = 0x1.fffffffffffffp+1023, low[] = {-800, -800}, one[] = {1, 1};
    double s[2], da[2], dr[2], v[2], w[2];
    poison_all(2, s), poison_all(2, da), poison_all(2, dr), poison_all(2, w), poison_all(2, v);
    for (size_t k = 0; k < 3; k++) {
        const double spoilt[] = {1, bad[k]};
        IS(SMOE_EDOM, smoe_mix_scores(2, bad[k], one, one, s));
        IS(SMOE_EDOM, smoe_mix_scores(2, 0.5, spoilt, one, s));
        IS(SMOE_EDOM, smoe_mix_scores(2, 0.5, one, spoilt, s));
        IS(SMOE_EDOM, smoe_mix_scores_vjp(2, bad[k], one, da, dr));
        IS(SMOE_EDOM, smoe_mix_scores_vjp(2, 0.5, spoilt, da, dr));
        IS(SMOE_EDOM, smoe_compete_weights_sigmoid(2, spoilt, w, v));
        IS(SMOE_EDOM, smoe_compete_weights_sigmoid_vjp(2, spoilt, one, one, w, v));
    }
    IS(SMOE_EINVAL, smoe_compete_weights_sigmoid(0, one, w, v));
    IS(SMOE_EINVAL, smoe_compete_weights_sigmoid_vjp(0, one, one, one, w, v));
    ck_assert_msg(untouched(2, s) && untouched(2, da) && untouched(2, dr) && untouched(2, w) && untouched(2, v),
                  "C.2, C.11: something was written");
    IS(SMOE_EOVRFLW, smoe_mix_scores(2, -1, (double[]){M, 0}, one, s));
    IS(SMOE_EOVRFLW, smoe_mix_scores_vjp(2, 4, (double[]){M, 0}, da, dr));
    IS(SMOE_EDOM, smoe_compete_weights_sigmoid(2, low, w, v)); /* e^-800 twice: 0 */
    IS(SMOE_EDOM, smoe_compete_weights_sigmoid_vjp(2, low, one, one, w, v));
    IS(SMOE_EOVRFLW, smoe_compete_weights_sigmoid_vjp(2, (double[]){-700, -700}, one, (double[]){M, -M}, w, v));
}
END_TEST

START_TEST(schedule_errors)
{
    double u[] = {0.25, 0.75, 0.25, 0.75}, t[] = {0, 1}, lambda[2];
    size_t compete[] = {7, 7, 7, 7}, load[] = {0, 3}, lost[] = {7, 7};
    const double edges[] = {1, -0.25, NAN, INFINITY};
    for (size_t k = 0; k < 4; k++) {
        const double coins[] = {0.5, edges[k], 0.5, 0.5}, late[] = {0.5, 0.5, 0.5, edges[k]};
        IS(SMOE_EDOM, smoe_compete_lambda(2, t, coins, lambda, compete));
        IS(SMOE_EDOM, smoe_schedule_layer_mended(2, 3, 0.5, coins, load, compete, lost));
        IS(SMOE_EDOM, smoe_schedule_layer_published(2, 3, 0.5, coins, load, compete, lost));
        IS(SMOE_EDOM, smoe_schedule(SMOE_COLLISION_MENDED, 2, 2, 1, 0.5, 0, late, compete, load, lost));
        IS(SMOE_EDOM, smoe_schedule(SMOE_COLLISION_MENDED, 2, 2, 1, 0.5, 0.5, coins, compete, load, lost));
    }
    const double beyond[] = {-0.5, 1.5, NAN};
    for (size_t k = 0; k < 3; k++) {
        IS(SMOE_EDOM, smoe_schedule(SMOE_COLLISION_MENDED, 2, 2, 1, beyond[k], 0, u, compete, load, lost));
        IS(SMOE_EDOM, smoe_schedule(SMOE_COLLISION_PUBLISHED, 2, 2, 1, 0.5, beyond[k], u, compete, load, lost));
        IS(SMOE_EDOM, smoe_schedule_layer_mended(2, 3, beyond[k], u, load, compete, lost));
    }
    IS(SMOE_EDOM, smoe_schedule_layer_mended(2, 2, 0.5, u, load, compete, lost)); /* a load of 3 above the cap */
    IS(SMOE_EDOM, smoe_schedule_layer_published(2, 2, 0.5, u, load, compete, lost));
    IS(SMOE_EINVAL, smoe_schedule((smoe_collision)7, 2, 2, 1, 0.5, 0, u, compete, load, lost));
    for (size_t k = 0; k < 3; k++) IS(SMOE_EDOM, smoe_compete_lambda(2, (double[]){0, bad[k]}, u, lambda, compete));
    IS(SMOE_EDOM, smoe_compete_lambda(2, (double[]){0, -1}, u, lambda, compete));
    COUNTS(compete, ((size_t[]){7, 7, 7, 7}), 4, "C.12, C.13: compete");
    COUNTS(load, ((size_t[]){0, 3}), 2, "C.13: load");
    COUNTS(lost, ((size_t[]){7, 7}), 2, "C.13: lost");
}
END_TEST

START_TEST(task_errors)
{
    const double M = 0x1.fffffffffffffp+1023, y[] = {1, 2}, zero[] = {0, 0};
    double loss = poison, dy[2];
    poison_all(2, dy);
    IS(SMOE_EINVAL, smoe_task_loss(0, y, y, &loss));
    IS(SMOE_EINVAL, smoe_task_loss_vjp(0, y, y, 1, dy));
    for (size_t k = 0; k < 3; k++) {
        const double spoilt[] = {1, bad[k]};
        IS(SMOE_EDOM, smoe_task_loss(2, spoilt, y, &loss));
        IS(SMOE_EDOM, smoe_task_loss(2, y, spoilt, &loss));
        IS(SMOE_EDOM, smoe_task_loss_vjp(2, spoilt, y, 1, dy));
        IS(SMOE_EDOM, smoe_task_loss_vjp(2, y, spoilt, 1, dy));
        IS(SMOE_EDOM, smoe_task_loss_vjp(2, y, y, bad[k], dy));
    }
    ck_assert_msg(loss == poison && untouched(2, dy), "C.14: something was written");
    IS(SMOE_EOVRFLW, smoe_task_loss(2, (double[]){M, 0}, zero, &loss));
    IS(SMOE_EOVRFLW, smoe_task_loss_vjp(2, (double[]){M, 0}, zero, 8, dy));
}
END_TEST

/* What a step writes when it refuses: nothing that is an output. */
static void refuses(step *l, smoe_status status, const char *what)
{
    const size_t T = l->shape.T, d = l->shape.d;
    poison_all(T * d, l->out.y);
    poison_all(SCALARS, l->scalar);
    poison_all(l->n, l->g);
    for (int router = 0; router < 2; router++) {
        l->router = router;
        ck_assert_msg(run(l, l->theta) == status, "C.14: %s", what);
        ck_assert_msg(back(l) == status, "C.14, gradient: %s", what);
    }
    l->router = false;
    ck_assert_msg(untouched(T * d, l->out.y) && untouched(SCALARS, l->scalar) && untouched(l->n, l->g),
                  "C.14: %s, and something was written", what);
}

#define REFUSES(field, value, status)                                                                                  \
    do {                                                                                                               \
        const step before = *l;                                                                                        \
        l->field = (value);                                                                                            \
        refuses(l, status, #field " = " #value);                                                                       \
        l->shape = before.shape, l->opt = before.opt;                                                                  \
    } while (0)

START_TEST(step_errors)
{
    step *l = step_new(2, 3, 4, 3, 2);
    draw_step(l, 3);
    REFUSES(shape.K, 0, SMOE_EINVAL);
    REFUSES(shape.K, 4, SMOE_EINVAL);
    REFUSES(shape.h, 0, SMOE_EINVAL);
    REFUSES(shape.phi, (smoe_activation)9, SMOE_EINVAL);
    REFUSES(opt.version, (smoe_version)9, SMOE_EINVAL);
    REFUSES(opt.response, (smoe_response)9, SMOE_EINVAL);
    REFUSES(opt.weights, (smoe_winner_weights)9, SMOE_EINVAL);
    REFUSES(opt.count, (smoe_count)9, SMOE_EINVAL);
    REFUSES(opt.target, (smoe_target)9, SMOE_EINVAL);
    REFUSES(opt.diversity, (smoe_diversity)9, SMOE_EINVAL);
    for (size_t k = 0; k < 3; k++) {
        REFUSES(opt.mix, bad[k], SMOE_EDOM);
        REFUSES(opt.theta, bad[k], SMOE_EDOM);
        REFUSES(opt.c_task, bad[k], SMOE_EDOM);
        REFUSES(opt.c_zloss, bad[k], SMOE_EDOM);
        const double keep = l->target[5];
        l->target[5] = bad[k];
        refuses(l, SMOE_EDOM, "target");
        l->target[5] = keep;
        for (int b = 0; b < BLOCKS; b++) {
            double *x = &l->theta[l->at[b + 1] - 1], kept = *x;
            *x = bad[k];
            refuses(l, SMOE_EDOM, block_name[b]);
            *x = kept;
        }
    }
    l->router = true;
    l->shape.order = (smoe_weight_order)9;
    IS(SMOE_EINVAL, run(l, l->theta));
    IS(SMOE_EINVAL, back(l));
    step_free(l);
}
END_TEST

/* Cotangents that are not finite are refused; those whose sum is not are an overflow. */
START_TEST(step_cotangent_errors)
{
    const double M = 0x1.fffffffffffffp+1023;
    for (int router = 0; router < 2; router++) {
        step *l = step_new(2, 3, 4, 3, 2);
        l->router = router;
        draw_step(l, 3);
        for (int k = 0; k < SCALARS; k++) {
            const double keep = l->cot[k];
            l->cot[k] = bad[k % 3];
            poison_all(l->n, l->g);
            IS(SMOE_EDOM, back(l));
            ck_assert_msg(untouched(l->n, l->g), "C.14: a bad cotangent of %s, and something was written",
                          scalar_name[k]);
            l->cot[k] = keep;
        }
        l->dy[5] = NAN;
        IS(SMOE_EDOM, back(l));
        l->dy[5] = 0, l->dweight[3] = INFINITY;
        IS(SMOE_EDOM, back(l));
        l->dweight[3] = 0, l->cot[TASK] = M, l->cot[LOSS] = M;
        IS(SMOE_EOVRFLW, back(l));
        l->cot[TASK] = 0, l->cot[LOSS] = 0, l->cot[BALANCE] = M, l->opt.c_balance = 1, l->cot[LOSS] = M,
        l->opt.c_task = 0;
        IS(SMOE_EOVRFLW, back(l));
        step_free(l);
    }
}
END_TEST

/* Totals and terms that overflow; winners without weights; responses whose mix overflows. */
START_TEST(step_overflows)
{
    step *l = two_experts();
    l->opt.c_task = 0x1.fffffffffffffp+1023;
    IS(SMOE_EOVRFLW, run(l, l->theta));
    l->router = true;
    IS(SMOE_EOVRFLW, run(l, l->theta));
    step_free(l);
    l = two_experts();
    l->target[0] = 1e300;
    IS(SMOE_EOVRFLW, run(l, l->theta));
    step_free(l);
    l = two_experts();
    l->opt.response = SMOE_RESPONSE_RELU; /* both outputs negative: no response, no weights */
    l->theta[l->at[W2]] = -800;
    poison_all(1, l->out.y);
    IS(SMOE_EDOM, run(l, l->theta));
    ck_assert_msg(untouched(1, l->out.y), "C.2: silent experts, and y was written");
    l->opt.weights = SMOE_WEIGHTS_SOFTMAX;
    OK(run(l, l->theta));
    OK(back(l));
    l->theta[l->at[BR]] = 100, l->opt.mix = -1e308;
    IS(SMOE_EOVRFLW, run(l, l->theta));
    step_free(l);
    l = two_experts();
    OK(run(l, l->theta));
    l->kept.o[0] = NAN; /* what the forward kept, spoilt */
    IS(SMOE_EDOM, back(l));
    step_free(l);
}
END_TEST

/* q = (1, e) with e <= 1e-6, p = (1/2, 1/2): dq = (-1/2, 0), whose mean is -1/2, so ds = (0, e/2).  At 1e-6 itself it is clamped, too. */
START_TEST(a_clamped_winner_is_a_constant)
{
    const size_t index[] = {0, 1};
    const double p[] = {0.5, 0.5}, e[] = {0x1p-21, 1e-6};
    double ds[2], work[8];
    for (int i = 0; i < 2; i++) {
        const double q[] = {1, e[i]}, want[] = {0, e[i] / 2};
        OK(smoe_distill_kl_clamped_target_vjp(1, 2, 2, p, q, index, 1, ds, work));
        SAME(ds, want, 2, "C.9', kl-clamped, ds");
    }
}
END_TEST

/* Three experts of one output, two winners.  The last winner's weight has 2^1023 from outside and 2^1023 through y; the last expert's
 * response has 2^1023 from outside and 2^1000/2^-23 through the weights: a sum that overflows, not a cotangent that is refused. */
START_TEST(totals_overflow_in_the_last)
{
    const double none[3] = {0}, o[] = {0x1p423, 0, 0}, s[] = {0x1p-24, 1, 0x1p-24}, weight[] = {.5, .5}, dy = 0x1p600;
    const size_t index[] = {2, 0};
    double do_[3], work[12];
    IS(SMOE_EOVRFLW, smoe_route_vjp(1, 3, 2, 1, o, s, index, weight, &dy, (double[]){0, 0x1p1023}, none, do_, work));
    const double both[] = {0x1p1000, -0x1p1000}, ds[] = {0, 0, 0x1p1023};
    IS(SMOE_EOVRFLW, smoe_route_vjp(1, 3, 2, 1, o, s, index, weight, none, both, ds, do_, work));
    OK(smoe_route_vjp(1, 3, 2, 1, o, s, index, weight, none, both, none, do_, work));
}
END_TEST

/* Each array that a step writes stands alone, with poison on either side: forward and gradient stay inside, with all tokens at once and
 * two at a time. */
START_TEST(arrays_are_not_left)
{
    enum { ARRAYS = 28, GUARD = 32 };
    for (size_t chunk = 0; chunk < 4; chunk += 2) {
        step *l = variant_step(_i, 1);
        const size_t T = l->shape.T, d = l->shape.d, h = l->shape.h, N = l->shape.N, K = l->shape.K,
                     C = chunk ? chunk : T;
        smoe_compete_kept *k = &l->kept;
        smoe_router_kept *r = &l->rkept;
        double **const array[ARRAYS] = {
            &l->out.y,   &l->out.r,   &l->out.s,    &l->out.weight, &l->out.margin, &k->o,       &k->a,
            &k->u,       &k->e,       &k->response, &k->p,          &k->q,          &k->qs,      &k->f,
            &k->P,       &k->won,     &k->unit,     &k->norm,       &k->value,      &r->layer.p, &r->layer.xs,
            &r->layer.o, &r->layer.a, &r->layer.u,  &r->p,          &r->f,          &r->P,       &r->lse};
        const size_t size[ARRAYS] = {T * d,     T * N,     T * N,     T * K, T,     C * N * d, N * C * h,
                                     N * C * h, C * d,     T * N,     T * N, T * N, T * N,     N,
                                     N,         C * K * d, C * K * d, C * K, 4 * N, T * N,     T * K * d,
                                     T * K * d, T * K * h, T * K * h, T * N, N,     N,         T};
        for (size_t i = 0; i < ARRAYS; i++) {
            *array[i] = room(size[i] + 2 * GUARD);
            poison_all(size[i] + 2 * GUARD, *array[i]);
            *array[i] += GUARD;
        }
        l->opt.chunk = chunk;
        OK(run(l, l->theta));
        OK(back(l));
        for (size_t i = 0; i < ARRAYS; i++) {
            ck_assert_msg(untouched(GUARD, *array[i] - GUARD) && untouched(GUARD, *array[i] + size[i]),
                          "%s, %zu tokens at a time: array %zu was left", variants[_i].name, C, i);
            free(*array[i] - GUARD);
        }
        step_free(l);
    }
}
END_TEST

/* 3 T N + T d + C (N d + K d + 2 d + h) + N d + 7 N + 4 K with T, N, K, d, h = 2, 3, 2, 5, 7, where C is 2, or 1. */
START_TEST(workspaces_by_hand)
{
    const smoe_layer_shape s = {.T = 2, .d = 5, .h = 7, .N = 3, .K = 2};
    for (size_t chunk = 0; chunk < 4; chunk++) {
        const smoe_compete_options opt = {.chunk = chunk};
        ck_assert_uint_eq(smoe_compete_step_vjp_work(&s, &opt), chunk == 1 ? 114 : 156);
    }
    ck_assert_uint_eq(smoe_router_step_vjp_work(&s), 18 + smoe_layer_vjp_work(&s)); /* 2 T N + 2 N */
}
END_TEST

/* Every function of arrays: what it reads (in, index) and writes (out), and how much of it. */
enum {
    P_SOFTPLUS,
    P_NORM,
    P_RELU,
    P_SIGMOID,
    P_SILU,
    P_SOFTPLUS_VJP,
    P_NORM_VJP,
    P_RELU_VJP,
    P_SIGMOID_VJP,
    P_SILU_VJP,
    P_WEIGHTS,
    P_WEIGHTS_VJP,
    P_WEIGHTS_V1,
    P_WEIGHTS_V1_VJP,
    P_WEIGHTS_SIGMOID,
    P_WEIGHTS_SIGMOID_VJP,
    P_COMBINE,
    P_COMBINE_VJP,
    P_ROUTE,
    P_ROUTE_V1,
    P_ROUTE_VJP,
    P_ROUTE_V1_VJP,
    P_DISTILL,
    P_DISTILL_LOSS,
    P_DISTILL_LOSS_VJP,
    P_DISTILL_VJP,
    P_DISTILL_TARGET_VJP,
    P_WINNERS_LOSS,
    P_WINNERS_VJP,
    P_WINNERS_TARGET_VJP,
    P_PAIRS,
    P_SQUARE,
    P_PAIRS_VJP,
    P_SQUARE_VJP,
    P_MASKED,
    P_MASKED_VJP,
    P_DISTILL_V1,
    P_DISTILL_V1_VJP,
    P_DISTILL_V1_TARGET_VJP,
    P_LOG_RATIO,
    P_KL,
    P_KL_VJP,
    P_KL_TARGET_VJP,
    P_CLAMPED,
    P_CLAMPED_VJP,
    P_CLAMPED_TARGET_VJP,
    P_BALANCE,
    P_MIX,
    P_MIX_VJP,
    P_TASK,
    P_TASK_VJP,
    PARTS
};

enum { INS = 6, OUTS = 4, BEHIND = 90, PART_ROOM = 72 + BEHIND };

typedef struct {
    int part;
    size_t T, N, K, d;
    double in[INS][PART_ROOM], out[OUTS][PART_ROOM], g; /* g: the cotangent of a loss */
    size_t index[PART_ROOM], chosen[PART_ROOM]; /* read; written */
    size_t reads[INS], indices, writes[OUTS];
} part_call;

static smoe_status call_part(part_call *c)
{
    const size_t T = c->T, N = c->N, K = c->K, d = c->d, Nd = N * d, TN = T * N, TK = T * K, Td = T * d;
    const double *a = c->in[0], *b = c->in[1], *e = c->in[2], *f = c->in[3], *g = c->in[4], *h = c->in[5];
    double *u = c->out[0], *v = c->out[1], *w = c->out[2], *x = c->out[3], work[3 * PART_ROOM];
    const size_t *I = c->index;
#define READS(...)  memcpy(c->reads, ((size_t[INS]){__VA_ARGS__}), sizeof c->reads)
#define WRITES(...) memcpy(c->writes, ((size_t[OUTS]){__VA_ARGS__}), sizeof c->writes)
    c->indices = 0;
    switch (c->part) {
    case P_SOFTPLUS:
        READS(Nd);
        WRITES(N);
        return smoe_response_softplus(N, d, a, u);
    case P_NORM:
        READS(Nd);
        WRITES(N);
        return smoe_response_norm(N, d, a, u);
    case P_RELU:
        READS(Nd);
        WRITES(N);
        return smoe_response_relu(N, d, a, u);
    case P_SIGMOID:
        READS(Nd);
        WRITES(N);
        return smoe_response_sigmoid(N, d, a, u);
    case P_SILU:
        READS(Nd);
        WRITES(N);
        return smoe_response_silu(N, d, a, u);
    case P_SOFTPLUS_VJP:
        READS(Nd, N);
        WRITES(Nd);
        return smoe_response_softplus_vjp(N, d, a, b, u);
    case P_NORM_VJP:
        READS(Nd, N, N);
        WRITES(Nd);
        return smoe_response_norm_vjp(N, d, a, b, e, u);
    case P_RELU_VJP:
        READS(Nd, N);
        WRITES(Nd);
        return smoe_response_relu_vjp(N, d, a, b, u);
    case P_SIGMOID_VJP:
        READS(Nd, N);
        WRITES(Nd);
        return smoe_response_sigmoid_vjp(N, d, a, b, u);
    case P_SILU_VJP:
        READS(Nd, N);
        WRITES(Nd);
        return smoe_response_silu_vjp(N, d, a, b, u);
    case P_WEIGHTS:
        READS(K);
        WRITES(K);
        return smoe_compete_weights(K, a, u);
    case P_WEIGHTS_VJP:
        READS(K, K, K);
        WRITES(K);
        return smoe_compete_weights_vjp(K, a, b, e, u);
    case P_WEIGHTS_V1:
        READS(K);
        WRITES(K);
        return smoe_compete_weights_v1(K, a, u);
    case P_WEIGHTS_V1_VJP:
        READS(K, K);
        WRITES(K);
        return smoe_compete_weights_v1_vjp(K, a, b, u);
    case P_WEIGHTS_SIGMOID:
        READS(K);
        WRITES(K, K);
        return smoe_compete_weights_sigmoid(K, a, u, v);
    case P_WEIGHTS_SIGMOID_VJP:
        READS(K, K, K);
        WRITES(K);
        return smoe_compete_weights_sigmoid_vjp(K, a, b, e, u, work);
    case P_COMBINE:
        c->indices = K;
        READS(K, Nd);
        WRITES(d);
        return smoe_compete_combine(N, K, d, I, a, b, u);
    case P_COMBINE_VJP:
        c->indices = K;
        READS(K, Nd, d);
        WRITES(K, Nd);
        return smoe_compete_combine_vjp(N, K, d, I, a, b, e, u, v);
    case P_ROUTE:
        READS(T * Nd);
        WRITES(TN, TK, T, Td);
        return smoe_route(T, N, K, d, a, u, c->chosen, v, w, x, work);
    case P_ROUTE_V1:
        READS(T * Nd);
        WRITES(TN, TK, T, Td);
        return smoe_route_v1(T, N, K, d, a, u, c->chosen, v, w, x, work);
    case P_ROUTE_VJP:
        c->indices = TK;
        READS(T * Nd, TN, TK, Td, TK, TN);
        WRITES(T * Nd);
        return smoe_route_vjp(T, N, K, d, a, b, I, e, f, g, h, u, work);
    case P_ROUTE_V1_VJP:
        c->indices = TK;
        READS(T * Nd, TN, TK, Td, TK, TN);
        WRITES(T * Nd);
        return smoe_route_v1_vjp(T, N, K, d, a, b, I, e, f, g, h, u, work);
    case P_DISTILL:
        c->indices = TK;
        READS(TN, TN);
        WRITES(TN, TN, 1);
        return smoe_distill(T, N, K, 2, a, b, I, u, v, w);
    case P_DISTILL_LOSS:
        c->indices = TK;
        READS(TN, TN);
        WRITES(1);
        return smoe_distill_loss(T, N, K, 2, a, b, I, u);
    case P_DISTILL_LOSS_VJP:
        c->indices = TK;
        READS(TN, TN);
        WRITES(TN);
        return smoe_distill_loss_vjp(T, N, K, 2, a, b, I, c->g, u);
    case P_DISTILL_VJP:
        c->indices = TK;
        READS(TN, TN);
        WRITES(TN);
        return smoe_distill_vjp(T, N, K, 2, a, b, I, c->g, u, work);
    case P_DISTILL_TARGET_VJP:
        c->indices = TK;
        READS(TN, TN);
        WRITES(TN);
        return smoe_distill_target_vjp(T, N, K, 2, a, b, I, c->g, u, work);
    case P_WINNERS_LOSS:
        c->indices = TK;
        READS(TN, TN);
        WRITES(1);
        return smoe_distill_winners_loss(T, N, K, 2, a, b, I, u);
    case P_WINNERS_VJP:
        c->indices = TK;
        READS(TN, TN);
        WRITES(TN);
        return smoe_distill_winners_vjp(T, N, K, 2, a, b, I, c->g, u, work);
    case P_WINNERS_TARGET_VJP:
        c->indices = TK;
        READS(TN, TN);
        WRITES(TN);
        return smoe_distill_winners_target_vjp(T, N, K, 2, a, b, I, c->g, u, work);
    case P_PAIRS:
        READS(TK * d);
        WRITES(TK * d, TK, 1);
        return smoe_diversity_pairs(T, K, d, a, u, v, w);
    case P_SQUARE:
        READS(TK * d);
        WRITES(TK * d, TK, 1);
        return smoe_diversity_square(T, K, d, a, u, v, w);
    case P_PAIRS_VJP:
        READS(TK * d, TK);
        WRITES(TK * d);
        return smoe_diversity_pairs_vjp(T, K, d, a, b, c->g, u);
    case P_SQUARE_VJP:
        READS(TK * d, TK);
        WRITES(TK * d);
        return smoe_diversity_square_vjp(T, K, d, a, b, c->g, u);
    case P_MASKED:
        c->indices = K;
        READS(N);
        WRITES(N);
        return smoe_target_masked(N, K, a, I, u, work);
    case P_MASKED_VJP:
        c->indices = K;
        READS(N, N);
        WRITES(N);
        return smoe_target_masked_vjp(N, K, a, I, b, u, work);
    case P_DISTILL_V1:
        c->indices = TK;
        READS(TN, TN);
        WRITES(TN, TN, 1);
        return smoe_distill_v1(T, N, K, a, b, I, u, v, w, work);
    case P_DISTILL_V1_VJP:
        READS(TN, TN);
        WRITES(TN);
        return smoe_distill_v1_vjp(T, N, a, b, c->g, u, work);
    case P_DISTILL_V1_TARGET_VJP:
        c->indices = TK;
        READS(TN, TN);
        WRITES(TN);
        return smoe_distill_v1_target_vjp(T, N, K, a, b, I, c->g, u, work);
    case P_LOG_RATIO:
        c->indices = K;
        READS(N, N);
        WRITES(K);
        return smoe_log_ratio(N, K, a, b, I, u);
    case P_KL:
        c->indices = TK;
        READS(TN, TN);
        WRITES(TN, TN, 1);
        return smoe_distill_kl(T, N, K, a, b, I, u, v, w, work);
    case P_KL_VJP:
        READS(TN, TN);
        WRITES(TN);
        return smoe_distill_kl_vjp(T, N, a, b, c->g, u);
    case P_KL_TARGET_VJP:
        c->indices = TK;
        READS(TN, TN, TN);
        WRITES(TN);
        return smoe_distill_kl_target_vjp(T, N, K, a, b, e, I, c->g, u, work);
    case P_CLAMPED:
        c->indices = TK;
        READS(TN, TN);
        WRITES(TN, TN, 1);
        return smoe_distill_kl_clamped(T, N, K, a, b, I, u, v, w, work);
    case P_CLAMPED_VJP:
        READS(TN, TN, TN);
        WRITES(TN);
        return smoe_distill_kl_clamped_vjp(T, N, a, b, e, c->g, u, work);
    case P_CLAMPED_TARGET_VJP:
        c->indices = TK;
        READS(TN, TN);
        WRITES(TN);
        return smoe_distill_kl_clamped_target_vjp(T, N, K, a, b, I, c->g, u, work);
    case P_BALANCE: /* one sequence after the other: B is T, and S is d */
        c->indices = TK * d;
        READS(TN * d);
        WRITES(TN, TN * d, TN, 1);
        return smoe_compete_balance(SMOE_COUNT_ALL, T, d, N, K, d * K, a, I, c->chosen, u, v, w, x);
    case P_MIX:
        READS(TN, TN);
        WRITES(TN);
        return smoe_mix_scores(TN, 0.25, a, b, u);
    case P_MIX_VJP:
        READS(TN);
        WRITES(TN, TN);
        return smoe_mix_scores_vjp(TN, 0.25, a, u, v);
    case P_TASK:
        READS(Td, Td);
        WRITES(1);
        return smoe_task_loss(Td, a, b, u);
    case P_TASK_VJP:
        READS(Td, Td);
        WRITES(Td);
        return smoe_task_loss_vjp(Td, a, b, c->g, u);
    }
    return SMOE_OK;
}

/* Sizes of which each is once the larger and once the smaller of any two. */
static const size_t part_size[][4] = {{3, 7, 2, 1}, {2, 5, 2, 3}, {5, 4, 3, 2}, {2, 4, 3, 5}};
enum { PART_SIZES = 4 };

/* Inputs of values(k), NaN behind them; winners that differ; results infinite, also behind them. */
static void start_part(part_call *c, int part, int size)
{
    memset(c, 0, sizeof *c);
    c->part = part, c->g = 1;
    c->T = part_size[size][0], c->N = part_size[size][1], c->K = part_size[size][2], c->d = part_size[size][3];
    (void)call_part(c); /* how much there is to be read and written */
    uint64_t seed = 71;
    for (size_t i = 0; i < INS; i++)
        for (size_t k = 0; k < PART_ROOM; k++) c->in[i][k] = k < c->reads[i] ? 2 + slopes_draw(&seed) : NAN;
    for (size_t k = 0; k < PART_ROOM; k++) c->index[k] = k < c->indices ? c->N - 1 - (k + k / c->K) % c->N : SIZE_MAX;
    for (size_t i = 0; i < OUTS; i++)
        for (size_t k = 0; k < PART_ROOM; k++) c->out[i][k] = INFINITY;
}

static bool part_untouched(const part_call *c)
{
    for (size_t i = 0; i < OUTS; i++)
        if (!untouched(PART_ROOM, c->out[i])) return false;
    return true;
}

/* Each element of an input is asked for, and each index; what is behind them is not, and what is behind a result is neither looked at
 * nor written. */
START_TEST(parts_read_to_the_last)
{
    part_call c;
    start_part(&c, _i / PART_SIZES, _i % PART_SIZES);
    ck_assert_msg(call_part(&c) == SMOE_OK, "part %d, sizes %d: what is behind is looked at", c.part, _i % PART_SIZES);
    for (size_t i = 0; i < OUTS; i++)
        for (size_t k = 0; k < PART_ROOM; k++)
            ck_assert_msg((k < c.writes[i]) == isfinite(c.out[i][k]), "part %d, sizes %d: [%zu] of result %zu", c.part,
                          _i % PART_SIZES, k, i);
    for (size_t i = 0; i < OUTS; i++) poison_all(PART_ROOM, c.out[i]);
    for (size_t i = 0; i < INS; i++)
        for (size_t k = 0; k < c.reads[i]; k++) {
            const double kept = c.in[i][k];
            c.in[i][k] = k % 2 == 0 ? NAN : INFINITY;
            ck_assert_msg(call_part(&c) == SMOE_EDOM && part_untouched(&c), "part %d, sizes %d: [%zu] of input %zu",
                          c.part, _i % PART_SIZES, k, i);
            c.in[i][k] = kept;
        }
    for (size_t k = 0; k < c.indices; k++) {
        const size_t kept = c.index[k];
        c.index[k] = c.N;
        ck_assert_msg(call_part(&c) == SMOE_EDOM && part_untouched(&c), "part %d, sizes %d: index %zu", c.part,
                      _i % PART_SIZES, k);
        c.index[k] = kept;
    }
}
END_TEST

static void clear_part(part_call *c, int part, int size)
{
    start_part(c, part, size);
    for (size_t i = 0; i < INS; i++) memset(c->in[i], 0, c->reads[i] * sizeof *c->in[i]);
}

/* The only element of result i that is not finite is the k-th. */
static void overflows_at(part_call *c, size_t i, size_t k)
{
    ck_assert_msg(call_part(c) == SMOE_EOVRFLW, "part %d: an overflow in [%zu] is not seen", c->part, k);
    for (size_t j = 0; j < c->writes[i]; j++)
        ck_assert_msg(isfinite(c->out[i][j]) == (j != k), "part %d: [%zu] is %g", c->part, j, c->out[i][j]);
}

/* The last element of a result overflows, and no other. */
START_TEST(parts_overflow_in_the_last)
{
    const double most = 0x1.fffffffffffffp+1023;
    part_call c;
    for (int size = 0; size < PART_SIZES; size++) {
        const size_t T = part_size[size][0], N = part_size[size][1], K = part_size[size][2], d = part_size[size][3];
        static const int mean[] = {P_SOFTPLUS, P_RELU, P_SILU};
        for (int i = 0; i < 3 && d > 1; i++) {
            clear_part(&c, mean[i], size);
            c.in[0][N * d - 1] = c.in[0][N * d - 2] = most;
            overflows_at(&c, 0, N - 1);
        }
        if (d == 1) { /* SiLU'(2) is above 1 */
            clear_part(&c, P_SILU_VJP, size);
            c.in[0][N - 1] = 2, c.in[1][N - 1] = most;
            overflows_at(&c, 0, N - 1);
        }
        clear_part(&c, P_COMBINE, size);
        c.in[0][K - 1] = 0x1p1000, c.in[1][(c.index[K - 1] + 1) * d - 1] = 0x1p100;
        overflows_at(&c, 0, d - 1);
        clear_part(&c, P_COMBINE_VJP, size);
        c.in[2][d - 1] = 0x1p1000, c.in[1][(c.index[K - 1] + 1) * d - 1] = 0x1p100;
        overflows_at(&c, 0, K - 1); /* the weight's gradient */
        clear_part(&c, P_COMBINE_VJP, size);
        c.in[2][d - 1] = 0x1p1000, c.in[0][0] = 0x1p100; /* index[0] is the last expert */
        overflows_at(&c, 1, N * d - 1);
        static const int direct[] = {P_DISTILL_LOSS_VJP, P_KL_VJP};
        for (int i = 0; i < 2; i++) {
            clear_part(&c, direct[i], size);
            c.in[0][T * N - 1] = c.g = 0x1p1000;
            overflows_at(&c, 0, T * N - 1);
        }
        static const int scores[] = {P_DISTILL_VJP,        P_DISTILL_TARGET_VJP, P_WINNERS_VJP,
                                     P_WINNERS_TARGET_VJP, P_DISTILL_V1_VJP,     P_DISTILL_V1_TARGET_VJP};
        for (int i = 0; i < 6;
             i++) { /* on the way to the last token's gradient, at a winner: the softmax gets no infinity */
            clear_part(&c, scores[i], size);
            c.index[T * K - 1] = N - 1;
            if (K > 1) c.index[T * K - 2] = 0;
            c.in[0][T * N - 1] = c.g = 0x1p1000;
            ck_assert_msg(call_part(&c) == SMOE_EOVRFLW, "part %d: an overflow on the way", c.part);
        }
        static const int diversity[] = {P_PAIRS_VJP, P_SQUARE_VJP};
        for (int i = 0; i < 2 && d > 1; i++) {
            clear_part(&c, diversity[i], size);
            for (size_t a = 0; a < T * K;
                 a++) /* the last token's last winner is along the first axis, its others along the last */
                c.in[0][a * d + (a + 1 < T * K ? d - 1 : 0)] = 1, c.in[1][a] = 1;
            c.in[1][T * K - 1] = 0x1p-1000;
            c.g = 0x1p100;
            overflows_at(&c, 0, T * K * d - 1);
        }
        clear_part(&c, P_LOG_RATIO, size);
        for (size_t i = 0; i < N; i++) c.in[0][i] = most;
        c.in[0][c.index[K - 1]] = -most;
        overflows_at(&c, 0, K - 1);
        clear_part(&c, P_TASK_VJP, size);
        c.in[0][T * d - 1] = c.g = 0x1p1000;
        overflows_at(&c, 0, T * d - 1);
    }
    double a[2], b[2];
    IS(SMOE_EOVRFLW, smoe_mix_scores_vjp(2, -1, (double[]){0, most}, a, b)); /* twice the cotangent, and the same */
    ck_assert_msg(a[1] == INFINITY && b[1] == -most, "C.11': %g and %g", a[1], b[1]);
    IS(SMOE_EOVRFLW, smoe_mix_scores_vjp(2, 2, (double[]){0, most}, a, b));
    ck_assert_msg(a[1] == -most && b[1] == INFINITY, "C.11': %g and %g", a[1], b[1]);
    IS(SMOE_EOVRFLW, smoe_mix_scores(2, -1, (double[]){0, most}, (double[]){0, 0}, a));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("compete_step");
    TCase *c = tcase_create("hand");
    tcase_add_test(c, squashed_weights_by_hand);
    tcase_add_test(c, winners_term_by_hand);
    tcase_add_test(c, version_1_by_hand);
    tcase_add_test(c, version_1_spec_example);
    tcase_add_test(c, balance_by_hand);
    tcase_add_test(c, mix_by_hand);
    tcase_add_test(c, lambda_by_hand);
    tcase_add_test(c, collision_by_hand);
    tcase_add_test(c, schedule_by_hand);
    tcase_add_test(c, task_by_hand);
    tcase_add_test(c, step_by_hand);
    tcase_add_test(c, step_version_1_by_hand);
    tcase_add_test(c, router_by_hand);
    suite_add_tcase(s, c);
    c = tcase_create("gradients");
    tcase_add_loop_test(c, gradient_of_the_lessons, 0, DISTANCES);
    tcase_add_loop_test(c, gradient_of_the_balance, 0, 3);
    tcase_add_test(c, gradient_of_the_mix);
    tcase_add_loop_test(c, gradient_of_the_step, 0, VARIANTS);
    tcase_add_loop_test(c, gradient_table, 0, ROWS);
    tcase_add_test(c, one_winner_teaches_no_router);
    suite_add_tcase(s, c);
    c = tcase_create("properties");
    tcase_add_test(c, no_loss_of_the_step_before);
    tcase_add_test(c, competition_is_not_a_matter_of_gradients);
    tcase_add_test(c, upcycled_experts_tie);
    tcase_add_loop_test(c, total_and_terms, 0, VARIANTS);
    tcase_add_test(c, without_task_it_is_the_layer);
    tcase_add_test(c, the_step_is_its_parts);
    tcase_add_loop_test(c, inference_is_the_layer, 0, 3);
    tcase_add_loop_test(c, step_symmetry, 0, VARIANTS);
    tcase_add_loop_test(c, chunks_change_no_bit, 0, VARIANTS);
    tcase_add_test(c, version_1_properties);
    tcase_add_test(c, version_1_corners);
    tcase_add_test(c, balance_properties);
    tcase_add_test(c, mix_properties);
    tcase_add_test(c, lambda_properties);
    tcase_add_test(c, schedule_properties);
    tcase_add_test(c, schedule_starves_late_layers);
    suite_add_tcase(s, c);
    c = tcase_create("errors");
    tcase_add_test(c, lesson_errors);
    tcase_add_test(c, lesson_overflows);
    tcase_add_test(c, target_errors);
    tcase_add_test(c, balance_errors);
    tcase_add_test(c, mix_and_weights_errors);
    tcase_add_test(c, schedule_errors);
    tcase_add_test(c, task_errors);
    tcase_add_test(c, step_errors);
    tcase_add_test(c, step_cotangent_errors);
    tcase_add_test(c, step_overflows);
    tcase_add_loop_test(c, parts_read_to_the_last, 0, PARTS * PART_SIZES);
    tcase_add_test(c, parts_overflow_in_the_last);
    tcase_add_test(c, workspaces_by_hand);
    tcase_add_loop_test(c, arrays_are_not_left, 0, VARIANTS);
    tcase_add_test(c, totals_overflow_in_the_last);
    tcase_add_test(c, a_clamped_winner_is_a_constant);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
