/* SimSMoE, spec/07-simsmoe.md: hand-computed values, gradients by two methods, properties, every error path. */
#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "balance.h"
#include "compete.h"
#include "gate.h"
#include "simsmoe.h"
#include "slopes.h"

static bool near(double got, double want, double ulps) { return fabs(got - want) <= ulps * 0x1p-52 * fabs(want); }

#define SAME(got, want, n, what)                                                                                       \
    for (size_t same_k = 0; same_k < (n); same_k++)                                                                    \
    ck_assert_msg((got)[same_k] == (want)[same_k], "%s[%zu] is %a, by hand %a", what, same_k, (double)(got)[same_k],   \
                  (double)(want)[same_k])

#define NEAR(got, want, n, ulps, what)                                                                                 \
    for (size_t near_k = 0; near_k < (n); near_k++)                                                                    \
    ck_assert_msg(near((got)[near_k], (want)[near_k], ulps), "%s[%zu] is %a, by hand %a", what, near_k, (got)[near_k], \
                  (want)[near_k])

#define OK(call)         ck_assert_int_eq(call, SMOE_OK)
#define IS(status, call) ck_assert_int_eq(call, status)

/* Outputs are filled with this before a call that must write nothing. */
static const double poison = -0x1.234p+567;
static const size_t poison_flag = 77;

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

static size_t *flags(size_t n) { return calloc(n + 1, sizeof(size_t)); }

static bool all_zero(size_t n, const double *x)
{
    for (size_t k = 0; k < n; k++)
        if (x[k] != 0) return false;
    return true;
}

/* --- hand-computed values --- */

/* o = (1,-2): a = (1,-1), u = (1,0), z = 3 + 1 = 4.  dz = 2: du = (6,10), da = (6,0), dWh = da o', do = Wh' da. */
/* evidence hand: S.1 */
START_TEST(head_by_hand)
{
    const double o[] = {1, -2}, wh[] = {1, 0, 0, 1}, bh[] = {0, 1}, wp[] = {3, 5}, bp[] = {1}, dz[] = {2};
    double a[2], u[2], z[1], d_o[2], dwh[4], dbh[2], dwp[2], dbp[1], da[2];
    OK(smoe_head_mlp(1, 2, 2, 1, o, wh, bh, wp, bp, a, u, z));
    SAME(a, ((double[]){1, -1}), 2, "S.1 a");
    SAME(u, ((double[]){1, 0}), 2, "S.1 u");
    SAME(z, ((double[]){4}), 1, "S.1 z");
    OK(smoe_head_mlp_vjp(1, 2, 2, 1, o, wh, wp, a, u, dz, d_o, dwh, dbh, dwp, dbp, da));
    SAME(dbp, ((double[]){2}), 1, "S.1 dbp");
    SAME(dwp, ((double[]){2, 0}), 2, "S.1 dWp");
    SAME(dbh, ((double[]){6, 0}), 2, "S.1 dbh");
    SAME(dwh, ((double[]){6, -12, 0, 0}), 4, "S.1 dWh");
    SAME(d_o, ((double[]){6, 0}), 2, "S.1 do");
    OK(smoe_head_mlp_vjp_acc(1, 2, 2, 1, o, wh, wp, a, u, dz, d_o, dwh, dbh, dwp, dbp, da)); /* once more on top */
    SAME(dwh, ((double[]){12, -24, 0, 0}), 4, "S.1 dWh, added");
    SAME(dbp, ((double[]){4}), 1, "S.1 dbp, added");
    SAME(d_o, ((double[]){6, 0}), 2, "S.1 do, not added");

    OK(smoe_head_linear(1, 2, 1, o, wp, bp, z));
    SAME(z, ((double[]){-6}), 1, "S.1a z");
    OK(smoe_head_linear_vjp(1, 2, 1, o, wp, dz, d_o, dwp, dbp));
    SAME(dwp, ((double[]){2, -4}), 2, "S.1a dWp");
    SAME(dbp, ((double[]){2}), 1, "S.1a dbp");
    SAME(d_o, ((double[]){6, 10}), 2, "S.1a do");
    OK(smoe_head_linear_vjp_acc(1, 2, 1, o, wp, dz, d_o, dwp, dbp));
    SAME(dwp, ((double[]){4, -8}), 2, "S.1a dWp, added");
}
END_TEST

/* evidence hand: S.2 */
START_TEST(shared_by_hand)
{
    const size_t two[] = {0, 1, 2, 1, 1, 0, 0, 2}, three[] = {0, 1, 2, 3, 2, 0};
    size_t shared[16];
    OK(smoe_shared_tokens(4, 3, 2, two, shared));
    SAME(shared, ((size_t[]){0, 2, 1, 0, 0, 1, 0, 0, 0}), 9, "S.2 shared, K = 2");
    OK(smoe_shared_tokens(2, 4, 3, three, shared));
    SAME(shared, ((size_t[]){0, 1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0}), 16, "S.2 shared, K = 3");
    OK(smoe_shared_tokens(0, 3, 2, two, shared));
    SAME(shared, ((size_t[9]){0}), 9, "S.2 shared of no tokens");
    OK(smoe_shared_tokens(8, 3, 1, two, shared));
    SAME(shared, ((size_t[9]){0}), 9, "S.2 shared, K = 1");
    OK(smoe_shared_tokens(2, 3, 3, (size_t[]){2, 0, 1, 1, 0, 2}, shared)); /* K = N: all tokens */
    SAME(shared, ((size_t[]){0, 2, 2, 0, 0, 2, 0, 0, 0}), 9, "S.2 shared, K = N");
}
END_TEST

/* Counters 1 and 5 meet 2 and 0 shared tokens; f = 3, T = 4; pair (1,2) has 0.25 and 1 shared token.  What stands below
 * the diagonal is not read. */
/* evidence hand: S.3 */
START_TEST(counters_by_hand)
{
    const size_t shared[] = {0, 2, 0, 0, 0, 1, 0, 0, 0};
    const double counter[] = {NAN, 1, 5, -1, NAN, 0.25, NAN, -3, NAN};
    double next[9];
    size_t selected[9];
    OK(smoe_pair_counters(SMOE_UNIT_TOKENS, SMOE_ABOVE, SMOE_ABSENT_KEEP, 3, 4, 3, shared, counter, next, selected));
    SAME(next, ((double[]){0, 3, 5, 0, 0, 1.25, 0, 0, 0}), 9, "S.3 next, tokens, above");
    SAME(selected, ((size_t[9]){0}), 9, "S.3 selected, tokens, above");
    OK(smoe_pair_counters(SMOE_UNIT_TOKENS, SMOE_AT_LEAST, SMOE_ABSENT_KEEP, 3, 4, 3, shared, counter, next, selected));
    SAME(next, ((double[]){0, 0, 5, 0, 0, 1.25, 0, 0, 0}), 9, "S.3 next, tokens, atleast");
    SAME(selected, ((size_t[]){0, 1, 0, 0, 0, 0, 0, 0, 0}), 9, "S.3 selected, tokens, atleast");
    OK(smoe_pair_counters(SMOE_UNIT_FRACTION, SMOE_ABOVE, SMOE_ABSENT_KEEP, 3, 4, 3, shared, counter, next, selected));
    SAME(next, ((double[]){0, 1.5, 5, 0, 0, 0.5, 0, 0, 0}), 9, "S.3 next, fraction");
    OK(smoe_pair_counters(SMOE_UNIT_FRACTION, SMOE_ABOVE, SMOE_ABSENT_RESET, 3, 4, 3, shared, counter, next, selected));
    SAME(next, ((double[]){0, 1.5, 0, 0, 0, 0.5, 0, 0, 0}), 9, "S.3 next, as in the code");
    SAME(selected, ((size_t[]){0, 0, 1, 0, 0, 0, 0, 0, 0}), 9, "S.3 selected, as in the code");
    OK(smoe_pair_counters(SMOE_UNIT_TOKENS, SMOE_AT_LEAST, SMOE_ABSENT_KEEP, 0, 4, 3, shared, counter, next, selected));
    SAME(selected, ((size_t[]){0, 1, 0, 0, 0, 1, 0, 0, 0}), 9, "S.3 selected, f = 0: whoever shares a token");
}
END_TEST

/* The example of S.5 to S.7: two experts of one width on -1, 0, 1; expert 0 is the identity, expert 1 3 max(x, 0). */
static const double hand_x[] = {-1, 0, 1}, hand_w1[] = {1, -1, 1, -1}, hand_b1[4], hand_w2[] = {1, -1, 3, 0},
                    hand_b2[2], hand_wp[] = {1}, hand_bp[] = {0};
static const smoe_simsmoe_in hand_in = {hand_x, hand_w1, hand_b1, hand_w2, hand_b2, NULL, NULL, hand_wp, hand_bp};
static const smoe_simsmoe_shape hand_shape = {{SMOE_TOPK_SOFTMAX, SMOE_RELU, 3, 1, 2, 2, 2}, SMOE_HEAD_LINEAR, 0, 1};
static const size_t hand_index[] = {0, 1, 0, 1, 0, 1};

typedef struct {
    double x[3], w1[4], b1[4], w2[4], b2[2], wp[1], bp[1], r[6], weight[6];
} hand_gradient;

static smoe_simsmoe_grad hand_grad(hand_gradient *g)
{
    return (smoe_simsmoe_grad){g->x, g->w1, g->b1, g->w2, g->b2, NULL, NULL, g->wp, g->bp, g->r, g->weight};
}

/* z = (-1,0,1) and (0,0,3), centred (-1,-1,2): CKA = 3^2/(2 6) = 3/4.  dz_0 = (-1,-1,2)/2 - 3/4 (-1,0,1), dz_1 =
 * (-1,0,1)/2 - (-1,-1,2)/4. */
/* evidence hand: S.4 S.5 */
START_TEST(loss_by_hand)
{
    smoe_simsmoe_options opt = {.threshold = 0.5};
    const size_t selected[] = {0, 1, 0, 0};
    double cka[4], loss, *work = room(smoe_similarity_loss_work(&hand_shape, &opt));
    size_t active[4], row[3];
    hand_gradient g;
    const smoe_simsmoe_grad grad = hand_grad(&g);
    OK(smoe_similarity_loss(&hand_shape, &opt, &hand_in, hand_index, selected, cka, active, &loss, row, work));
    NEAR(&loss, ((double[]){0.75}), 1, 4, "S.5 loss");
    NEAR(cka, ((double[]){0, 0.75, 0, 0}), 4, 4, "S.5 cka");
    SAME(active, ((size_t[]){0, 1, 0, 0}), 4, "S.5 active");
    OK(smoe_similarity_loss_vjp(&hand_shape, &opt, &hand_in, hand_index, selected, active, 1, &grad, row, work));
    const double tiny = 0x1p-50;
    SAME(g.x, ((double[3]){0}), 3, "S.5 dx");
    NEAR(g.w2, ((double[]){0.25, 0.25, 0, -0.25}), 4, 8, "S.5 dW2");
    NEAR(g.w1, ((double[]){0.25, 0.25, 0, 0}), 4, 8, "S.5 dW1");
    NEAR(g.b1, ((double[]){0.25, -0.25, 0, 0}), 4, 8, "S.5 db1");
    ck_assert_msg(fabs(g.b2[0]) < tiny && fabs(g.b2[1]) < tiny, "S.5 db2 %a, %a, by hand 0", g.b2[0], g.b2[1]);
    ck_assert_msg(fabs(g.wp[0]) < tiny && fabs(g.bp[0]) < tiny, "S.5 dWp %a, dbp %a, by hand 0", g.wp[0], g.bp[0]);
    opt.through_x = SMOE_X_ATTACHED;
    OK(smoe_similarity_loss_vjp(&hand_shape, &opt, &hand_in, hand_index, selected, active, 2, &grad, row, work));
    NEAR(g.x, ((double[]){0.5, 0, 0.5}), 3, 8, "S.5 dx, attached, twice");
    opt.threshold = cka[1]; /* exactly T*: the two comparisons part */
    OK(smoe_similarity_loss(&hand_shape, &opt, &hand_in, hand_index, selected, cka, active, &loss, row, work));
    ck_assert_msg(loss == 0 && active[1] == 0 && cka[1] == opt.threshold, "S.5: CKA = T* is not above it");
    opt.compare = SMOE_AT_LEAST;
    OK(smoe_similarity_loss(&hand_shape, &opt, &hand_in, hand_index, selected, cka, active, &loss, row, work));
    ck_assert_msg(loss == cka[1] && active[1] == 1, "S.5: CKA = T* is at least it");
    work[0] = NAN;
    OK(smoe_similarity_loss(&hand_shape, &opt, &hand_in, hand_index, (size_t[4]){0}, cka, active, &loss, row, work));
    ck_assert_msg(loss == 0, "S.5: where no pair is compared, the workspace says nothing");
    free(work);
}
END_TEST

/* Representations of the same experts through z = 2 o + 1, and their gradient under dz = (1,0,-1). */
/* evidence hand: S.4 */
START_TEST(representation_by_hand)
{
    const double wp[] = {2}, bp[] = {1}, dz[] = {1, 0, -1};
    smoe_simsmoe_in in = hand_in;
    in.wp = wp;
    in.bp = bp;
    double a[6], u[6], o[3], z[3], dX[3], work[9];
    const smoe_representation one = {a, u, o, NULL, NULL, z};
    OK(smoe_represent(&hand_shape, &in, 1, 3, hand_x, &one));
    SAME(o, ((double[]){0, 0, 3}), 3, "S.4 o");
    SAME(z, ((double[]){1, 1, 7}), 3, "S.4 z");
    hand_gradient g = {{0}, {0}, {0}, {0}, {0}, {0.5}, {0}, {0}, {0}};
    const smoe_simsmoe_grad grad = hand_grad(&g);
    OK(smoe_represent_vjp_acc(&hand_shape, &in, 1, 3, hand_x, &one, dz, &grad, dX, work));
    SAME(g.wp, ((double[]){-2.5}), 1, "S.4 dWp: 1/2 that was there, and -3");
    SAME(g.w2, ((double[]){0, 0, -2, 2}), 4, "S.4 dW2: do = (2,0,-2) on u = (0,1), (0,0), (1,0)");
    SAME(dX, ((double[]){0, 0, -6}), 3, "S.4 dX");
    IS(SMOE_EINVAL, smoe_represent(&hand_shape, &in, 2, 3, hand_x, &one));
    IS(SMOE_EINVAL, smoe_represent_vjp_acc(&hand_shape, &in, 2, 3, hand_x, &one, dz, &grad, dX, work));
    IS(SMOE_EDOM, smoe_represent_vjp_acc(&hand_shape, &in, 1, 3, hand_x, &one, (double[]){1, NAN, 0}, &grad, dX, work));
    smoe_simsmoe_shape none = hand_shape;
    none.p = 0;
    IS(SMOE_EINVAL, smoe_represent(&none, &in, 1, 3, hand_x, &one));
    IS(SMOE_EINVAL, smoe_represent_vjp_acc(&none, &in, 1, 3, hand_x, &one, dz, &grad, dX, work));
}
END_TEST

/* Expert 0 gives (a, b) and expert 1 (a, -b) on four tokens, a = (1,1,-1,-1), b = (1,-1,1,-1): identities of width 2
 * that differ in a sign.  With the head (1, s) CKA is ((1 - s^2)/(1 + s^2))^2: 1, 9/25, 0 at s = 0, 1/2, 1, while the
 * experts' own CKA is 1.  At s = 1/2 its gradient is 2 (3/5) (4 s^2, -4 s)/(25/16) = (96, -192)/125. */
/* evidence hand: S.5 */
START_TEST(head_alone_by_hand)
{
    const double x[] = {1, 1, 1, -1, -1, 1, -1, -1};
    const double w1[] = {1, 0, -1, 0, 0, 1, 0, -1, 1, 0, -1, 0, 0, 1, 0, -1}, b1[8] = {0}, b2[4] = {0}, bp[] = {0};
    const double w2[] = {1, -1, 0, 0, 0, 0, 1, -1, 1, -1, 0, 0, 0, 0, -1, 1};
    const double other[] = {1, -1, 1, 1, -1, -1, -1, 1}, s[] = {0, 0.5, 1}, want[] = {1, 0.36, 0};
    const size_t index[] = {0, 1, 1, 0, 0, 1, 1, 0}, selected[] = {0, 1, 0, 0};
    const smoe_simsmoe_shape shape = {{SMOE_TOPK_SOFTMAX, SMOE_RELU, 4, 2, 4, 2, 2}, SMOE_HEAD_LINEAR, 0, 1};
    const smoe_simsmoe_options opt = {.threshold = -1};
    double cka[4], loss, own, *work = room(smoe_similarity_loss_work(&shape, &opt));
    double dx[8], dw1[16], db1[8], dw2[16], db2[4], dwp[2], dbp[1];
    size_t active[4], row[4];
    OK(smoe_cka(&opt.similarity, 4, 2, x, 2, other, work, &own));
    ck_assert_msg(own == 1, "K.9: the experts' own CKA is %a, by hand 1", own);
    for (int k = 0; k < 3; k++) {
        const double wp[] = {1, s[k]};
        const smoe_simsmoe_in in = {x, w1, b1, w2, b2, NULL, NULL, wp, bp};
        const smoe_simsmoe_grad grad = {dx, dw1, db1, dw2, db2, NULL, NULL, dwp, dbp, NULL, NULL};
        OK(smoe_similarity_loss(&shape, &opt, &in, index, selected, cka, active, &loss, row, work));
        ck_assert_msg(near(loss, want[k], 8), "S.5: loss %a at s = %g, by hand %a", loss, s[k], want[k]);
        OK(smoe_similarity_loss_vjp(&shape, &opt, &in, index, selected, active, 1, &grad, row, work));
        if (k == 1) NEAR(dwp, ((double[]){96.0 / 125, -192.0 / 125}), 2, 16, "S.5 dWp at s = 1/2");
        if (k != 1) ck_assert_msg(fabs(dwp[0]) < 0x1p-50, "S.5: at s = %g the head is at rest, dWp %a", s[k], dwp[0]);
    }
    free(work);
}
END_TEST

/* r = 0: weights 1/2, balance 1; n_01 = 3 > 2: selected; y = (o_0 + o_1)/2 = (-1/2, 0, 2); L = 1/2 + 2 (3/4) = 2.  With
 * target y - 3 the task is 9, L = 11; d_L = 1 gives G = 2: dw = 2 (o_0, o_1), dW2 of expert 0 = (1,1) + 2 (1/4,1/4). */
/* evidence hand: S.6 S.7 */
START_TEST(layer_and_step_by_hand)
{
    const smoe_simsmoe_options opt = {
        .threshold = 0.5, .frequency = 2, .c_task = 1, .c_balance = 0.5, .c_similarity = 2};
    const double r[6] = {0}, weight[] = {0.5, 0.5, 0.5, 0.5, 0.5, 0.5}, counter[4] = {0}, none[3] = {0};
    const double target[] = {-3.5, -3, -1};
    double y[3], loss, balance, similarity, next[4], cka[4], task, p[6], xs[6], o[6], a[12], u[12], f[2], P[2];
    size_t shared[4], selected[4], active[4], offset[3], slot[6], place[6], count[2], row[3];
    double *work = room(smoe_simsmoe_layer_vjp_work(&hand_shape, &opt) + 3);
    const smoe_gated gate = {r, hand_index, weight};
    const smoe_simsmoe_out out = {y, &loss, &balance, &similarity, shared, selected, active, next, cka};
    const smoe_simsmoe_kept kept = {{offset, slot, place, p, xs, o, a, u}, f, P, count, row};
    hand_gradient g;
    const smoe_simsmoe_grad grad = hand_grad(&g);
    OK(smoe_simsmoe_layer(&hand_shape, &opt, &hand_in, &gate, counter, &out, &kept, work));
    SAME(y, ((double[]){-0.5, 0, 2}), 3, "S.6 y");
    SAME(shared, ((size_t[]){0, 3, 0, 0}), 4, "S.6 shared");
    SAME(selected, ((size_t[]){0, 1, 0, 0}), 4, "S.6 selected");
    SAME(next, ((double[4]){0}), 4, "S.6 next");
    ck_assert_msg(balance == 1 && near(similarity, 0.75, 4) && near(loss, 2, 4), "S.6: loss %a", loss);
    const smoe_simsmoe_cot cot = {none, 1, 0, 0};
    OK(smoe_simsmoe_layer_vjp(&hand_shape, &opt, &hand_in, &gate, &out, &kept, &cot, &grad, work));
    NEAR(g.w2, ((double[]){0.5, 0.5, 0, -0.5}), 4, 8, "S.6 dW2: twice S.5's");
    SAME(g.r, ((double[6]){0}), 6, "S.6 dr: f is uniform");

    OK(smoe_simsmoe_step(&hand_shape, &opt, &hand_in, &gate, counter, target, &out, &task, &kept, work));
    ck_assert_msg(task == 9 && near(loss, 11, 4), "S.7: task %a, loss %a, by hand 9 and 11", task, loss);
    OK(smoe_simsmoe_step_vjp(&hand_shape, &opt, &hand_in, &gate, target, &out, &kept, &cot, 0, &grad, work));
    SAME(g.weight, ((double[]){-2, 0, 0, 0, 2, 6}), 6, "S.7 dweight");
    NEAR(g.w2, ((double[]){1.5, 1.5, 1, 0.5}), 4, 8, "S.7 dW2");
    NEAR(g.b2, ((double[]){3, 3}), 2, 8, "S.7 db2");
    free(work);
}
END_TEST

/* --- a layer to try things on --- */

/* All numbers that a gradient belongs to stand in one array, in this order. */
enum { X, W1, B1, W2, B2, WH, BH, WP, BP, R, WEIGHT, PARTS };

typedef struct {
    smoe_simsmoe_shape shape;
    smoe_simsmoe_options opt;
    size_t at[PARTS + 1]; /* where each part starts */
    double *theta, *g; /* the numbers, their gradient */
    double *frozen_x; /* what (S.5) sees of x where it is detached */
    double *counter, *target, *dy;
    double cot_loss, cot_balance, cot_similarity, cot_task;
    size_t *index, *row;
    smoe_simsmoe_out out;
    smoe_simsmoe_kept kept;
    double task, *scalars, *work;
} world;

static size_t part_size(const world *w, int part)
{
    const smoe_layer_shape *l = &w->shape.layer;
    const size_t T = l->T, d = l->d, h = l->h, N = l->N, g = w->shape.g, p = w->shape.p;
    const size_t m = w->shape.head == SMOE_HEAD_MLP ? g : d;
    const size_t size[PARTS] = {T * d, N * h * d, N * h, N * d * h, N * d, m * d, m, p * m, p, T * N, T * l->K};
    return size[part];
}

static smoe_simsmoe_in inputs(const world *w, const double *theta)
{
    const size_t *at = w->at;
    return (smoe_simsmoe_in){theta + at[X],  theta + at[W1], theta + at[B1], theta + at[W2], theta + at[B2],
                             theta + at[WH], theta + at[BH], theta + at[WP], theta + at[BP]};
}

static smoe_gated gated(const world *w, const double *theta)
{
    return (smoe_gated){theta + w->at[R], w->index, theta + w->at[WEIGHT]};
}

static smoe_simsmoe_grad gradients(const world *w)
{
    double *g = w->g;
    const size_t *at = w->at;
    return (smoe_simsmoe_grad){g + at[X],  g + at[W1], g + at[B1], g + at[W2], g + at[B2],    g + at[WH],
                               g + at[BH], g + at[WP], g + at[BP], g + at[R],  g + at[WEIGHT]};
}

static void allocate(world *w)
{
    const smoe_layer_shape *l = &w->shape.layer;
    const size_t T = l->T, N = l->N, A = T * l->K, most = w->shape.p > l->d ? w->shape.p : l->d;
    for (int k = 0; k < PARTS; k++) w->at[k + 1] = w->at[k] + part_size(w, k);
    w->theta = room(w->at[PARTS]);
    w->g = room(w->at[PARTS]);
    w->frozen_x = room(T * l->d);
    w->counter = room(N * N);
    w->target = room(T * l->d);
    w->dy = room(T * l->d);
    w->index = flags(A);
    w->row = flags(T);
    w->scalars = room(3);
    w->out = (smoe_simsmoe_out){room(T * l->d), w->scalars,   w->scalars + 1, w->scalars + 2, flags(N * N),
                                flags(N * N),   flags(N * N), room(N * N),    room(N * N)};
    w->kept = (smoe_simsmoe_kept){
        {flags(N + 1), flags(A), flags(A), room(T * N), room(A * l->d), room(A * l->d), room(A * l->h), room(A * l->h)},
        room(N),
        room(N),
        flags(N),
        w->row};
    w->work = room(smoe_simsmoe_layer_vjp_work(&w->shape, &w->opt) + T * (most + N + l->d) + N);
}

static void release(world *w)
{
    double *const numbers[] = {
        w->theta,    w->g,       w->frozen_x,     w->counter,       w->target,       w->dy,           w->out.y,
        w->out.next, w->out.cka, w->kept.layer.p, w->kept.layer.xs, w->kept.layer.o, w->kept.layer.a, w->kept.layer.u,
        w->kept.f,   w->kept.P,  w->scalars,      w->work};
    size_t *const indices[] = {w->index,           w->row,
                               w->out.shared,      w->out.selected,
                               w->out.active,      w->kept.layer.offset,
                               w->kept.layer.slot, w->kept.layer.place,
                               w->kept.count};
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) free(numbers[k]);
    for (size_t k = 0; k < sizeof indices / sizeof *indices; k++) free(indices[k]);
}

/* K distinct experts for each token. */
static void draw_choices(uint64_t *seed, size_t T, size_t N, size_t K, size_t *index)
{
    for (size_t t = 0; t < T; t++)
        for (size_t j = 0; j < K; j++) {
            size_t *I = index + t * K, l;
            do {
                I[j] = (size_t)((slopes_draw(seed) + 1) / 2 * (double)N);
                for (l = 0; l < j && I[l] != I[j]; l++) {}
            } while (l < j);
        }
}

/* Everything random; every pair is due. */
static world new_world(smoe_simsmoe_shape shape, smoe_simsmoe_options opt, uint64_t seed)
{
    world w = {
        .shape = shape, .opt = opt, .cot_loss = 0.75, .cot_balance = -0.5, .cot_similarity = 0.625, .cot_task = 0.25};
    const smoe_layer_shape *l = &shape.layer;
    allocate(&w);
    slopes_fill(&seed, 1, w.at[PARTS], w.theta);
    memcpy(w.frozen_x, w.theta, l->T * l->d * sizeof(double));
    slopes_fill(&seed, 1, l->T * l->d, w.target);
    slopes_fill(&seed, 1, l->T * l->d, w.dy);
    draw_choices(&seed, l->T, l->N, l->K, w.index);
    for (size_t k = 0; k < l->N * l->N; k++) w.counter[k] = 100;
    return w;
}

static smoe_simsmoe_cot cotangents(const world *w)
{
    return (smoe_simsmoe_cot){w->dy, w->cot_loss, w->cot_balance, w->cot_similarity};
}

static smoe_status run_loss(world *w, const double *theta)
{
    const smoe_simsmoe_in in = inputs(w, theta);
    return smoe_similarity_loss(&w->shape, &w->opt, &in, w->index, w->out.selected, w->out.cka, w->out.active,
                                w->out.similarity, w->row, w->work);
}

static smoe_status run_loss_vjp(world *w, double dloss)
{
    const smoe_simsmoe_in in = inputs(w, w->theta);
    const smoe_simsmoe_grad grad = gradients(w);
    return smoe_similarity_loss_vjp(&w->shape, &w->opt, &in, w->index, w->out.selected, w->out.active, dloss, &grad,
                                    w->row, w->work);
}

static smoe_status run_layer(world *w, const double *theta)
{
    const smoe_simsmoe_in in = inputs(w, theta);
    const smoe_gated gate = gated(w, theta);
    return smoe_simsmoe_layer(&w->shape, &w->opt, &in, &gate, w->counter, &w->out, &w->kept, w->work);
}

static smoe_status run_layer_vjp(world *w)
{
    const smoe_simsmoe_in in = inputs(w, w->theta);
    const smoe_gated gate = gated(w, w->theta);
    const smoe_simsmoe_cot cot = cotangents(w);
    const smoe_simsmoe_grad grad = gradients(w);
    return smoe_simsmoe_layer_vjp(&w->shape, &w->opt, &in, &gate, &w->out, &w->kept, &cot, &grad, w->work);
}

static smoe_status run_step(world *w, const double *theta)
{
    const smoe_simsmoe_in in = inputs(w, theta);
    const smoe_gated gate = gated(w, theta);
    return smoe_simsmoe_step(&w->shape, &w->opt, &in, &gate, w->counter, w->target, &w->out, &w->task, &w->kept,
                             w->work);
}

static smoe_status run_step_vjp(world *w)
{
    const smoe_simsmoe_in in = inputs(w, w->theta);
    const smoe_gated gate = gated(w, w->theta);
    const smoe_simsmoe_cot cot = cotangents(w);
    const smoe_simsmoe_grad grad = gradients(w);
    return smoe_simsmoe_step_vjp(&w->shape, &w->opt, &in, &gate, w->target, &w->out, &w->kept, &cot, w->cot_task, &grad,
                                 w->work);
}

static void select_all(world *w)
{
    const size_t N = w->shape.layer.N;
    for (size_t k = 0; k < N * N; k++) w->out.selected[k] = k / N < k % N;
}

/* --- gradients: the equations once more, in extended precision --- */

static long double phi_of(smoe_activation phi, long double a)
{
    if (phi == SMOE_RELU) return a > 0 ? a : 0;
    return a / 2 * (1 + erfl(a / sqrtl(2)));
}

/* y [m] = W v + b, W [m,n]. */
static void affine(size_t m, size_t n, const long double *W, const long double *b, const long double *v, long double *y)
{
    for (size_t i = 0; i < m; i++) {
        y[i] = b[i];
        for (size_t k = 0; k < n; k++) y[i] += W[i * n + k] * v[k];
    }
}

/* Expert i on one token. */
static void exact_expert(const world *w, const long double *theta, size_t i, const long double *x, long double *y)
{
    const smoe_layer_shape *l = &w->shape.layer;
    const size_t d = l->d, h = l->h, *at = w->at;
    long double u[16];
    affine(h, d, theta + at[W1] + i * h * d, theta + at[B1] + i * h, x, u);
    for (size_t k = 0; k < h; k++) u[k] = phi_of(l->phi, u[k]);
    affine(d, h, theta + at[W2] + i * d * h, theta + at[B2] + i * d, u, y);
}

/* (S.4) of one token. */
static void exact_representation(const world *w, const long double *theta, size_t i, const long double *x,
                                 long double *z)
{
    const size_t d = w->shape.layer.d, g = w->shape.g, p = w->shape.p, *at = w->at;
    long double o[16], u[16];
    exact_expert(w, theta, i, x, o);
    if (w->shape.head == SMOE_HEAD_LINEAR) {
        affine(p, d, theta + at[WP], theta + at[BP], o, z);
        return;
    }
    affine(g, d, theta + at[WH], theta + at[BH], o, u);
    for (size_t k = 0; k < g; k++) u[k] = phi_of(SMOE_RELU, u[k]);
    affine(p, g, theta + at[WP], theta + at[BP], u, z);
}

enum { MOST = 32 };

static void exact_gram(const smoe_similarity *how, size_t n, size_t p, const long double *z, long double *K)
{
    for (size_t a = 0; a < n; a++)
        for (size_t b = 0; b < n; b++) {
            long double v = 0, dist = 0;
            for (size_t e = 0; e < p; e++) {
                v += z[a * p + e] * z[b * p + e];
                dist += (z[a * p + e] - z[b * p + e]) * (z[a * p + e] - z[b * p + e]);
            }
            const long double s = how->sigma;
            K[a * n + b] = how->kernel == SMOE_KERNEL_LINEAR ? v : expl(-dist / (2 * s * s));
        }
}

/* tr(K H L H), or Song's unbiased form, each up to a factor that CKA does not see. */
static long double exact_hsic(smoe_estimator estimator, size_t n, const long double *K, const long double *L)
{
    long double m = (long double)n, trace = 0, sk = 0, sl = 0, cross = 0;
    const bool biased = estimator == SMOE_HSIC_BIASED;
    for (size_t a = 0; a < n; a++) {
        long double rk = 0, rl = 0;
        for (size_t b = 0; b < n; b++) {
            if (!biased && a == b) continue;
            trace += K[a * n + b] * L[a * n + b];
            rk += K[a * n + b];
            rl += L[a * n + b];
        }
        sk += rk;
        sl += rl;
        cross += rk * rl;
    }
    return biased ? trace - 2 * cross / m + sk * sl / (m * m)
                  : trace + sk * sl / ((m - 1) * (m - 2)) - 2 * cross / (m - 2);
}

static long double exact_cka(const smoe_similarity *how, size_t n, size_t p, const long double *y, const long double *z)
{
    static long double K[MOST * MOST], L[MOST * MOST];
    exact_gram(how, n, p, y, K);
    exact_gram(how, n, p, z, L);
    return exact_hsic(how->estimator, n, K, L) /
           sqrtl(exact_hsic(how->estimator, n, K, K) * exact_hsic(how->estimator, n, L, L));
}

/* (S.5), with the pairs that are active held. */
static long double exact_similarity(const world *w, const long double *theta)
{
    const smoe_layer_shape *l = &w->shape.layer;
    const size_t T = l->T, N = l->N, d = l->d, p = w->shape.p;
    static long double y[MOST * 8], z[MOST * 8];
    long double sum = 0, pairs = 0, x[16];
    for (size_t i = 0; i < N; i++)
        for (size_t j = i + 1; j < N; j++) {
            size_t n = 0;
            pairs += (long double)w->out.selected[i * N + j];
            if (w->out.active[i * N + j] == 0) continue;
            for (size_t t = 0; t < T; t++) {
                if (!smoe_shares(l->K, w->index + t * l->K, i, j)) continue;
                const bool detached = w->opt.through_x == SMOE_X_DETACHED;
                for (size_t e = 0; e < d; e++) x[e] = detached ? w->frozen_x[t * d + e] : theta[t * d + e];
                exact_representation(w, theta, i, x, y + n * p);
                exact_representation(w, theta, j, x, z + n * p);
                n++;
            }
            sum += exact_cka(&w->opt.similarity, n, p, y, z);
        }
    return w->opt.reduce == SMOE_PAIRS_MEAN ? sum / pairs : sum;
}

static long double exact_balance(const world *w, const long double *theta)
{
    const smoe_layer_shape *l = &w->shape.layer;
    const size_t T = l->T, N = l->N, K = l->K;
    long double loss = 0;
    for (size_t t = 0; t < T; t++) {
        const long double *r = theta + w->at[R] + t * N;
        long double sum = 0;
        for (size_t i = 0; i < N; i++) sum += expl(r[i]);
        for (size_t a = 0; a < T * K; a++) loss += expl(r[w->index[a]]) / sum;
    }
    return loss * (long double)N / (long double)(T * T * K);
}

/* <dy, y>, and the task's share of the scalar. */
static long double exact_outputs(const world *w, const long double *theta, long double g_task)
{
    const smoe_layer_shape *l = &w->shape.layer;
    const size_t T = l->T, d = l->d, K = l->K;
    long double value = 0, o[16], y[16];
    for (size_t t = 0; t < T; t++) {
        for (size_t e = 0; e < d; e++) y[e] = 0;
        for (size_t j = 0; j < K; j++) {
            exact_expert(w, theta, w->index[t * K + j], theta + t * d, o);
            for (size_t e = 0; e < d; e++) y[e] += theta[w->at[WEIGHT] + t * K + j] * o[e];
        }
        for (size_t e = 0; e < d; e++) {
            const long double off = y[e] - w->target[t * d + e];
            value += w->dy[t * d + e] * y[e] + g_task * off * off / (long double)(T * d);
        }
    }
    return value;
}

static long double exact_loss_scalar(const void *test, const long double *theta)
{
    return 1.5L * exact_similarity(test, theta);
}

static long double exact_layer_scalar(const void *test, const long double *theta)
{
    const world *w = test;
    const smoe_simsmoe_options *o = &w->opt;
    return exact_outputs(w, theta, 0) +
           ((long double)w->cot_balance + o->c_balance * w->cot_loss) * exact_balance(w, theta) +
           ((long double)w->cot_similarity + o->c_similarity * w->cot_loss) * exact_similarity(w, theta);
}

static long double exact_step_scalar(const void *test, const long double *theta)
{
    const world *w = test;
    return exact_layer_scalar(w, theta) - exact_outputs(w, theta, 0) +
           exact_outputs(w, theta, (long double)w->cot_task + w->opt.c_task * w->cot_loss);
}

/* The library's own forward, for the adjoint identity.  It moves what it is given, so x is left where it is unless
 * (S.5) lets it pass. */
static double loss_scalar(const void *test, const double *theta)
{
    world w = *(const world *)test;
    OK(run_loss(&w, theta));
    return 1.5 * *w.out.similarity;
}

static double inner(size_t n, const double *a, const double *b)
{
    double s = 0;
    for (size_t k = 0; k < n; k++) s += a[k] * b[k];
    return s;
}

static double layer_scalar(const void *test, const double *theta)
{
    world w = *(const world *)test;
    OK(run_layer(&w, theta));
    return inner(w.shape.layer.T * w.shape.layer.d, w.dy, w.out.y) + w.cot_loss * *w.out.loss +
           w.cot_balance * *w.out.balance + w.cot_similarity * *w.out.similarity;
}

static double step_scalar(const void *test, const double *theta)
{
    world w = *(const world *)test;
    OK(run_step(&w, theta));
    return inner(w.shape.layer.T * w.shape.layer.d, w.dy, w.out.y) + w.cot_loss * *w.out.loss +
           w.cot_balance * *w.out.balance + w.cot_similarity * *w.out.similarity + w.cot_task * w.task;
}

static const char *const part_name[PARTS] = {"x", "w1", "b1", "w2", "b2", "wh", "bh", "wp", "bp", "r", "weight"};

/* Both methods, on everything at once and on each part by itself; `parts` of theta are inputs. */
static void check_gradient(const world *w, int parts, slopes_exact exact, slopes_library library, const char *what)
{
    const size_t n = w->at[parts];
    const double order = slopes_order_right(n, w->theta, w->g, exact, w, 77);
    ck_assert_msg(order > 1.9, "%s: the remainder falls with order %.2f: not the gradient", what, order);
    for (int k = w->opt.through_x == SMOE_X_ATTACHED ? X : W1; k < parts; k++) {
        if (w->shape.head == SMOE_HEAD_LINEAR && (k == WH || k == BH)) continue;
        const double off = slopes_adjoint(n, w->theta, w->g, library, w, w->at[k], w->at[k + 1] - w->at[k], 5);
        ck_assert_msg(off < 1e-6, "%s, %s: <cotangent, J v> and <g, v> differ by %g", what, part_name[k], off);
    }
}

/* head, kernel, estimator, reduction, gradient of x, activation */
static world varied_world(int i, size_t T)
{
    const smoe_head head = i % 2 ? SMOE_HEAD_LINEAR : SMOE_HEAD_MLP;
    const smoe_activation phi = i / 2 % 2 ? SMOE_RELU : SMOE_GELU;
    const smoe_simsmoe_shape shape = {{SMOE_TOPK_SOFTMAX, phi, T, 3, 4, 3, 2}, head, head == SMOE_HEAD_MLP ? 5 : 3, 2};
    const smoe_estimator estimator[] = {SMOE_HSIC_BIASED, SMOE_HSIC_UNBIASED, SMOE_HSIC_DEBIASED};
    const smoe_simsmoe_options opt = {.similarity = {.kernel = i / 4 % 2 ? SMOE_KERNEL_RBF : SMOE_KERNEL_LINEAR,
                                                     .sigma = 0.8,
                                                     .estimator = estimator[i % 3]},
                                      .threshold = i % 3 ? -1 : 0.0625,
                                      .reduce = i / 8 % 2 ? SMOE_PAIRS_MEAN : SMOE_PAIRS_SUM,
                                      .through_x = i % 5 == 0 ? SMOE_X_ATTACHED : SMOE_X_DETACHED,
                                      .frequency = 10,
                                      .c_task = 1.25,
                                      .c_balance = 0.5,
                                      .c_similarity = 1.5};
    return new_world(shape, opt, 1000 + (uint64_t)i);
}

/* The same options with sizes of which no two are alike. */
static world unlike_world(int i, size_t T)
{
    world like = varied_world(i, T);
    smoe_simsmoe_shape shape = like.shape;
    shape.layer.d = 5, shape.layer.h = 6, shape.layer.N = 4, shape.p = 3;
    shape.g = shape.head == SMOE_HEAD_MLP ? 7 : shape.layer.d;
    const smoe_simsmoe_options opt = like.opt;
    release(&like);
    return new_world(shape, opt, 2000 + (uint64_t)i);
}

/* evidence gradient: S.1 */
START_TEST(gradient_of_the_heads)
{
    world w = varied_world(_i, 9);
    const size_t n = 9, d = 3, g = w.shape.g, p = 2;
    uint64_t seed = 5;
    double *o = room(n * d), *dz = room(n * p), *a = room(n * g), *u = room(n * g), *z = room(n * p), *up = room(n * d);
    double *d_o = room(n * d), *dwh = room(g * d), *dbh = room(g), *dwp = room(p * g), *dbp = room(p),
           *da = room(n * g);
    const smoe_simsmoe_in in = inputs(&w, w.theta);
    slopes_fill(&seed, 1, n * d, o);
    slopes_fill(&seed, 1, n * p, dz);
    const bool mlp = w.shape.head == SMOE_HEAD_MLP;
    if (mlp) {
        OK(smoe_head_mlp(n, d, g, p, o, in.wh, in.bh, in.wp, in.bp, a, u, z));
        OK(smoe_head_mlp_vjp(n, d, g, p, o, in.wh, in.wp, a, u, dz, d_o, dwh, dbh, dwp, dbp, da));
    } else {
        OK(smoe_head_linear(n, d, p, o, in.wp, in.bp, z));
        OK(smoe_head_linear_vjp(n, d, p, o, in.wp, dz, d_o, dwp, dbp));
    }
    for (int k = mlp ? 0 : 2; k < 5; k++) { /* each argument along its own gradient: the slope is its square */
        const double *at[] = {in.wh, in.bh, in.wp, in.bp, o}, *grad[] = {dwh, dbh, dwp, dbp, d_o};
        const size_t size[] = {g * d, g, p * g, p, n * d};
        double step = 0x1p-18, *moved = room(size[k]), value[2];
        for (int side = 0; side < 2; side++) {
            for (size_t e = 0; e < size[k]; e++) moved[e] = at[k][e] + (side ? -step : step) * grad[k][e];
            const double *now[] = {in.wh, in.bh, in.wp, in.bp, o};
            now[k] = moved;
            if (mlp)
                OK(smoe_head_mlp(n, d, g, p, now[4], now[0], now[1], now[2], now[3], a, u, z));
            else
                OK(smoe_head_linear(n, d, p, now[4], now[2], now[3], z));
            value[side] = inner(n * p, dz, z);
        }
        const double slope = (value[0] - value[1]) / (2 * step), square = inner(size[k], grad[k], grad[k]);
        ck_assert_msg(fabs(slope - square) < 1e-7 * square, "S.1, argument %d: slope %g, |gradient|^2 %g", k, slope,
                      square);
        free(moved);
    }
    double *const all[] = {o, dz, a, u, z, up, d_o, dwh, dbh, dwp, dbp, da};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) free(all[k]);
    release(&w);
}
END_TEST

/* evidence gradient: S.1 S.4 S.5 */
START_TEST(gradient_of_the_loss)
{
    world w = varied_world(_i, 24);
    select_all(&w);
    OK(run_loss(&w, w.theta));
    ck_assert_msg(w.out.active[1] + w.out.active[2] + w.out.active[5] > 0, "no pair is active: nothing is checked");
    OK(run_loss_vjp(&w, 1.5));
    check_gradient(&w, R, exact_loss_scalar, loss_scalar, "S.5");
    release(&w);
}
END_TEST

/* evidence gradient: S.6 */
START_TEST(gradient_of_the_layer)
{
    world w = _i < 12 ? varied_world(_i, 24) : unlike_world(_i - 12, 24);
    OK(run_layer(&w, w.theta));
    OK(run_layer_vjp(&w));
    check_gradient(&w, PARTS, exact_layer_scalar, layer_scalar, "S.6");
    release(&w);
}
END_TEST

/* evidence gradient: S.7 */
START_TEST(gradient_of_the_step)
{
    world w = _i < 12 ? varied_world(_i, 24) : unlike_world(_i - 12, 24);
    OK(run_step(&w, w.theta));
    OK(run_step_vjp(&w));
    check_gradient(&w, PARTS, exact_step_scalar, step_scalar, "S.7");
    release(&w);
}
END_TEST

/* --- properties: pairs --- */

/* Counts and rows by definition, for any K; their sum; and what they do not depend on. */
/* evidence properties: S.2 S.4 */
START_TEST(pairs_by_definition)
{
    const size_t T = 40, N = 6, K = (size_t)_i;
    uint64_t seed = 9;
    size_t index[40 * 6], turned[40 * 6], shared[36], again[36], row[40], total = 0;
    draw_choices(&seed, T, N, K, index);
    OK(smoe_shared_tokens(T, N, K, index, shared));
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) {
            size_t n = 0, found = smoe_pair_rows(T, K, index, i, j, row);
            for (size_t t = 0; t < T; t++) {
                bool has_i = false, has_j = false;
                for (size_t l = 0; l < K; l++) {
                    has_i = has_i || index[t * K + l] == i;
                    has_j = has_j || index[t * K + l] == j;
                }
                ck_assert_int_eq(smoe_shares(K, index + t * K, i, j), has_i && has_j);
                if (!has_i || !has_j) continue;
                ck_assert_msg(n < found && row[n] == t, "S.4: token %zu is not row %zu of pair (%zu,%zu)", t, n, i, j);
                n++;
            }
            ck_assert_msg(n == found, "S.4: pair (%zu,%zu) has %zu rows, by definition %zu", i, j, found, n);
            ck_assert_msg(shared[i * N + j] == (i < j ? n : 0), "S.2: (%zu,%zu) share %zu", i, j, shared[i * N + j]);
            total += shared[i * N + j];
        }
    ck_assert_msg(total == T * K * (K - 1) / 2, "S.2: the counts sum to %zu", total);
    for (size_t a = 0; a < T * K; a++) turned[a] = index[(T - 1 - a / K) * K + (K - 1 - a % K)];
    OK(smoe_shared_tokens(T, N, K, turned, again));
    ck_assert_msg(memcmp(shared, again, sizeof shared) == 0, "S.2: the order of tokens or choices changes a count");
    for (size_t a = 0; a < T * K; a++) turned[a] = (index[a] + 1) % N;
    OK(smoe_shared_tokens(T, N, K, turned, again));
    for (size_t i = 0; i < N; i++)
        for (size_t j = i + 1; j < N; j++) {
            const size_t a = (i + 1) % N, b = (j + 1) % N, low = a < b ? a : b, high = a < b ? b : a;
            ck_assert_msg(shared[i * N + j] == again[low * N + high], "S.2: other names, other counts");
        }
}
END_TEST

/* A run that is stopped, written to a file, read and continued selects what the uninterrupted run selects. */
/* evidence properties: S.3 */
START_TEST(resumed)
{
    const size_t T = 11, N = 5, K = 3, steps = 80;
    const smoe_pair_unit unit = _i ? SMOE_UNIT_FRACTION : SMOE_UNIT_TOKENS;
    double counter[25] = {0}, next[25], other[25] = {0}, lost[25] = {0};
    size_t index[33], shared[25], selected[25], again[25], forgetful[25], picked = 0, apart = 0;
    uint64_t seed = 3;
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    for (size_t step = 0; step < steps; step++) {
        draw_choices(&seed, T, N, K, index);
        OK(smoe_shared_tokens(T, N, K, index, shared));
        OK(smoe_pair_counters(unit, SMOE_ABOVE, SMOE_ABSENT_KEEP, _i ? 1.5 : 16, T, N, shared, counter, next,
                              selected));
        memcpy(counter, next, sizeof next);
        if (step == 23) { /* a checkpoint */
            ck_assert_uint_eq(fwrite(other, sizeof *other, 25, file), 25);
            for (size_t k = 0; k < 25; k++) other[k] = poison;
            rewind(file);
            ck_assert_uint_eq(fread(other, sizeof *other, 25, file), 25);
            memset(lost, 0, sizeof lost); /* the negative control: a run that did not save its counters */
        }
        OK(smoe_pair_counters(unit, SMOE_ABOVE, SMOE_ABSENT_KEEP, _i ? 1.5 : 16, T, N, shared, other, next, again));
        memcpy(other, next, sizeof next);
        OK(smoe_pair_counters(unit, SMOE_ABOVE, SMOE_ABSENT_KEEP, _i ? 1.5 : 16, T, N, shared, lost, next, forgetful));
        memcpy(lost, next, sizeof next);
        apart += memcmp(selected, forgetful, sizeof selected) != 0;
        ck_assert_msg(step >= 23 || apart == 0, "S.3: step %zu: apart before anything was lost", step);
        ck_assert_msg(memcmp(selected, again, sizeof again) == 0, "S.3: step %zu selects other pairs after resuming",
                      step);
        for (size_t k = 0; k < 25; k++) picked += selected[k];
    }
    ck_assert_msg(picked > 20 && memcmp(counter, other, sizeof other) == 0, "S.3: %zu selections", picked);
    ck_assert_msg(apart > 0, "S.3: lost counters make no difference: this shows nothing");
    fclose(file);
}
END_TEST

/* With T a power of two fractions are tokens divided by T, exactly, and the same pairs are due at f/T.  The comparisons
 * part only where a counter is f.  A batch in two halves counts the same tokens, and twice the fractions. */
/* evidence properties: S.3 */
START_TEST(units_and_edges)
{
    const size_t T = 16, N = 5, K = 2;
    double tokens[25] = {0}, fractions[25] = {0}, next[25];
    size_t index[32], shared[25], half[25], a[25], b[25], c[25], equal = 0;
    uint64_t seed = 4;
    for (size_t step = 0; step < 60; step++) {
        draw_choices(&seed, T, N, K, index);
        OK(smoe_shared_tokens(T, N, K, index, shared));
        OK(smoe_pair_counters(SMOE_UNIT_TOKENS, SMOE_AT_LEAST, SMOE_ABSENT_KEEP, 6, T, N, shared, tokens, next, b));
        OK(smoe_pair_counters(SMOE_UNIT_TOKENS, SMOE_ABOVE, SMOE_ABSENT_KEEP, 6, T, N, shared, tokens, next, a));
        for (size_t k = 0; k < 25; k++) {
            const bool at = tokens[k] + (double)shared[k] == 6 && shared[k] > 0;
            ck_assert_msg(b[k] - a[k] == (at ? 1 : 0), "S.3: counter %g", tokens[k] + (double)shared[k]);
            equal += at;
        }
        memcpy(tokens, next, sizeof next);
        OK(smoe_pair_counters(SMOE_UNIT_FRACTION, SMOE_ABOVE, SMOE_ABSENT_KEEP, 6.0 / 16, T, N, shared, fractions, next,
                              c));
        memcpy(fractions, next, sizeof next);
        ck_assert_msg(memcmp(a, c, sizeof a) == 0, "S.3: fractions select other pairs than tokens at f/T");
        for (size_t k = 0; k < 25; k++) ck_assert_msg(tokens[k] == 16 * fractions[k], "S.3: %a", fractions[k]);
        OK(smoe_shared_tokens(T / 2, N, K, index, half));
        OK(smoe_shared_tokens(T / 2, N, K, index + T, c));
        for (size_t k = 0; k < 25; k++) ck_assert_msg(half[k] + c[k] == shared[k], "S.2: two halves");
    }
    ck_assert_msg(equal > 3, "S.3: no counter was ever exactly f");
}
END_TEST

/* Even routing over 120 pairs, one token each.  In tokens a pair is due after 16 or 17 steps, in fractions after 1920
 * or one more: the sum of rounded 120ths decides which. */
/* evidence properties: S.3 */
START_TEST(waiting_times)
{
    const size_t T = 120, N = 16, want[] = {16, 17, 1920, 1921};
    double counter[256] = {0}, next[256];
    size_t index[240], shared[256], selected[256], t = 0, step = 0;
    for (size_t i = 0; i < N; i++)
        for (size_t j = i + 1; j < N; j++, t++) index[2 * t] = i, index[2 * t + 1] = j;
    OK(smoe_shared_tokens(T, N, 2, index, shared));
    const smoe_pair_unit unit = _i < 2 ? SMOE_UNIT_TOKENS : SMOE_UNIT_FRACTION;
    do {
        OK(smoe_pair_counters(unit, _i % 2 ? SMOE_ABOVE : SMOE_AT_LEAST, SMOE_ABSENT_KEEP, 16, T, N, shared, counter,
                              next, selected));
        memcpy(counter, next, sizeof next);
        step++;
    } while (selected[1] == 0 && step < 4000);
    const size_t off = step > want[_i] ? step - want[_i] : want[_i] - step;
    ck_assert_msg(off <= (_i < 2 ? 0 : 1), "S.3: first selection after %zu steps, on paper %zu", step, want[_i]);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++)
            ck_assert_msg(selected[i * N + j] == (i < j) && counter[i * N + j] == 0, "S.3: all pairs at once, then 0");
}
END_TEST

/* SIM's bookkeeping: fractions, above, and a due pair that has no token here is reset, its turn lost; the reference
 * keeps it until it can be compared. */
/* evidence properties: S.3 S.5 */
START_TEST(absent_pairs)
{
    const smoe_absent absent = _i ? SMOE_ABSENT_RESET : SMOE_ABSENT_KEEP;
    world w = varied_world(0, 12);
    w.opt.absent = absent;
    w.opt.unit = SMOE_UNIT_FRACTION;
    w.opt.frequency = 1;
    for (size_t t = 0; t < 12; t++) w.index[2 * t] = 0, w.index[2 * t + 1] = 1; /* nobody has 2 */
    memset(w.counter, 0, 9 * sizeof(double));
    w.counter[2] = 1.5;
    OK(run_layer(&w, w.theta));
    ck_assert_msg(w.out.next[2] == (_i ? 0 : 1.5), "S.3: counter of the absent pair %g", w.out.next[2]);
    ck_assert_uint_eq(w.out.selected[2], (size_t)_i);
    ck_assert_msg(w.out.active[2] == 0 && w.out.cka[2] == 0 && *w.out.similarity == 0, "S.5: nothing to compare");
    ck_assert_msg(w.out.next[1] == 1 && w.out.selected[1] == 0, "S.3: 1 is not above 1");
    memcpy(w.counter, w.out.next, 9 * sizeof(double));
    for (size_t t = 0; t < 6; t++) w.index[2 * t + 1] = 2; /* the next batch has both pairs */
    OK(run_layer(&w, w.theta));
    ck_assert_uint_eq(w.out.selected[2], _i == 0);
    ck_assert_uint_eq(w.out.selected[1], 1);
    release(&w);
}
END_TEST

/* --- properties: the loss --- */

static bool part_is_zero(const world *w, int part)
{
    return all_zero(w->at[part + 1] - w->at[part], w->g + w->at[part]);
}

/* The similarity loss alone, through the layer: nothing reaches x, the router's scores or weights, or an expert outside
 * the active pairs, not even a rounding; with x attached, x alone is no longer 0. */
/* evidence properties: S.4 S.5 S.6 */
START_TEST(detachment)
{
    world w = varied_world(_i, 24);
    w.opt.through_x = SMOE_X_DETACHED;
    w.opt.threshold = -2;
    memset(w.dy, 0, 24 * 3 * sizeof(double));
    memset(w.counter, 0, 9 * sizeof(double));
    w.counter[1] = 1000; /* of the pairs only (0,1) is due */
    w.opt.frequency = 500;
    w.cot_balance = w.cot_loss = 0;
    OK(run_layer(&w, w.theta));
    for (size_t k = 0; k < w.at[PARTS]; k++) w.g[k] = poison;
    OK(run_layer_vjp(&w));
    ck_assert_msg(w.out.active[1] == 1 && w.out.active[2] + w.out.active[5] == 0, "S.5: only (0,1) is active");
    ck_assert_msg(part_is_zero(&w, X), "S.5: x is detached, and has a gradient");
    ck_assert_msg(part_is_zero(&w, R) && part_is_zero(&w, WEIGHT), "S.5: the router has a gradient");
    ck_assert_msg(!part_is_zero(&w, W1) && !part_is_zero(&w, W2) && !part_is_zero(&w, WP), "S.5: no gradient at all");
    const int of_experts[] = {W1, B1, W2, B2};
    for (int k = 0; k < 4; k++) {
        const size_t one = (w.at[of_experts[k] + 1] - w.at[of_experts[k]]) / 3;
        const double *g = w.g + w.at[of_experts[k]];
        ck_assert_msg(all_zero(one, g + 2 * one), "S.5: %s of expert 2 has a gradient", part_name[of_experts[k]]);
        ck_assert_msg(k == 3 || (!all_zero(one, g) && !all_zero(one, g + one)), "S.5: expert 0 or 1 has none");
    }
    w.opt.through_x = SMOE_X_ATTACHED;
    OK(run_layer_vjp(&w));
    ck_assert_msg(!part_is_zero(&w, X) && part_is_zero(&w, R), "S.5: x attached");
    for (size_t t = 0; t < 24; t++)
        if (!smoe_shares(2, w.index + 2 * t, 0, 1))
            ck_assert_msg(all_zero(3, w.g + 3 * t), "S.5: token %zu is not shared, and has a gradient", t);
    release(&w);
}
END_TEST

/* Nothing selected: loss 0 and all gradients exactly 0; the same with a threshold that nobody passes. */
/* evidence properties: S.5 */
START_TEST(nothing_to_do)
{
    world w = varied_world(_i, 24);
    for (int idle = 0; idle < 2; idle++) {
        if (idle == 1) {
            select_all(&w);
            w.opt.threshold = 1.5;
        }
        OK(run_loss(&w, w.theta));
        ck_assert_msg(*w.out.similarity == 0, "S.5: loss %a of nothing", *w.out.similarity);
        OK(run_loss_vjp(&w, 1));
        ck_assert_msg(all_zero(w.at[WH], w.g) && all_zero(w.at[R] - w.at[WP], w.g + w.at[WP]),
                      "S.5: a gradient of nothing");
        ck_assert_msg((w.out.cka[1] != 0) == (idle == 1), "S.5: cka %a", w.out.cka[1]);
    }
    release(&w);
}
END_TEST

static void copy_expert(world *w, size_t from, size_t to)
{
    const int of_experts[] = {W1, B1, W2, B2};
    for (int k = 0; k < 4; k++) {
        const size_t one = (w->at[of_experts[k] + 1] - w->at[of_experts[k]]) / w->shape.layer.N;
        double *v = w->theta + w->at[of_experts[k]];
        memcpy(v + to * one, v + from * one, one * sizeof *v);
    }
}

static double largest(const world *w)
{
    double most = 0;
    for (size_t k = 0; k < w->at[R]; k++) most = fmax(most, fabs(w->g[k]));
    return most;
}

/* Experts that are copies: CKA is exactly 1 and there is nothing in the gradient but rounding, for every kernel and
 * estimator; a hundredth of a difference, and there is. */
/* evidence properties: S.5 */
START_TEST(collapse_is_stationary)
{
    world w = varied_world(_i, 48);
    w.opt.reduce = SMOE_PAIRS_SUM;
    copy_expert(&w, 0, 1);
    copy_expert(&w, 0, 2);
    select_all(&w);
    OK(run_loss(&w, w.theta));
    SAME(w.out.cka, ((double[]){0, 1, 1, 0, 0, 1, 0, 0, 0}), 9, "S.5 cka of copies");
    ck_assert_msg(*w.out.similarity == 3, "S.5: loss of three pairs of copies %a", *w.out.similarity);
    OK(run_loss_vjp(&w, 1));
    const double at_rest = largest(&w);
    for (size_t k = w.at[W2]; k < w.at[B2]; k++) w.theta[k] += 0.01 * sin((double)k);
    OK(run_loss(&w, w.theta));
    OK(run_loss_vjp(&w, 1));
    ck_assert_msg(at_rest < 0x1p-40 * largest(&w), "S.5: gradient %g at copies, %g near them", at_rest, largest(&w));
    release(&w);
}
END_TEST

/* Gradient descent on the head alone: the loss goes, the experts' own CKA stays, because they stay. */
/* evidence properties: S.1 S.5 */
START_TEST(head_alone)
{
    world w = varied_world(_i, 20);
    w.opt.threshold = -2;
    w.opt.reduce = SMOE_PAIRS_SUM;
    for (size_t t = 0; t < 20; t++) w.index[2 * t] = 0, w.index[2 * t + 1] = 1;
    copy_expert(&w, 0, 1);
    for (size_t k = w.at[W2] + 12; k < w.at[W2] + 24; k++) w.theta[k] += 0.5 * sin((double)k);
    w.out.selected[1] = 1;
    OK(run_loss(&w, w.theta));
    const double before = *w.out.similarity;
    for (int step = 0; step < 1000 && fabs(*w.out.similarity) > 0.05; step++) {
        OK(run_loss_vjp(&w, 1));
        for (size_t k = w.at[WH]; k < w.at[R]; k++) w.theta[k] -= 0.3 * w.g[k];
        OK(run_loss(&w, w.theta));
    }
    ck_assert_msg(before > 0.3 && fabs(*w.out.similarity) <= 0.05, "S.5: the head alone goes from %g to %g", before,
                  *w.out.similarity);
    release(&w);
}
END_TEST

/* Fewer rows than the estimator needs: skipped.  Exactly two: biased CKA is 1 and has no gradient but rounding. */
/* evidence properties: S.5 */
START_TEST(few_rows)
{
    const smoe_estimator estimator[] = {SMOE_HSIC_BIASED, SMOE_HSIC_UNBIASED, SMOE_HSIC_DEBIASED};
    const size_t needs[] = {2, 4, 4};
    for (size_t n = 0; n < 6; n++) {
        world w = varied_world(4, 12);
        w.opt.similarity.estimator = estimator[_i];
        w.opt.threshold = -2;
        w.opt.reduce = SMOE_PAIRS_MEAN;
        for (size_t t = 0; t < 12; t++) w.index[2 * t] = 0, w.index[2 * t + 1] = t < n ? 1 : 2;
        w.out.selected[1] = w.out.selected[2] = 1;
        OK(run_loss(&w, w.theta));
        const bool compared = n >= needs[_i];
        ck_assert_uint_eq(w.out.active[1], compared);
        ck_assert_msg((w.out.cka[1] != 0) == compared, "S.5: %zu rows, cka %a", n, w.out.cka[1]);
        const double want = ((compared ? w.out.cka[1] : 0) + w.out.cka[2]) / 2;
        ck_assert_msg(*w.out.similarity == want, "S.5: the mean is over the selected pairs, skipped or not");
        if (n == 2 && _i == 0) {
            w.out.selected[2] = w.out.active[2] = 0;
            ck_assert_msg(near(w.out.cka[1], 1, 4), "S.5: two rows, CKA %a", w.out.cka[1]);
            OK(run_loss_vjp(&w, 1));
            ck_assert_msg(largest(&w) < 0x1p-40, "S.5: two rows, gradient %g", largest(&w));
        }
        release(&w);
    }
}
END_TEST

/* A head whose hidden units are all off, an expert that is constant, rows that are all the same under a median: CKA is
 * not defined, the pair is skipped and the others are not. */
/* evidence properties: S.5 */
START_TEST(no_variance)
{
    world w = varied_world(_i, 24);
    w.opt.threshold = -2;
    w.opt.similarity.bandwidth = SMOE_BANDWIDTH_MEDIAN;
    select_all(&w);
    OK(run_loss(&w, w.theta));
    const double kept = w.out.cka[1];
    for (size_t k = 24; k < 36; k++) w.theta[w.at[W2] + k] = 0; /* expert 2 gives its bias alone */
    OK(run_loss(&w, w.theta));
    ck_assert_msg(w.out.active[2] + w.out.active[5] == 0 && w.out.cka[2] == 0, "S.5: a constant expert is compared");
    ck_assert_msg(w.out.active[1] == 1 && w.out.cka[1] == kept, "S.5: another pair is not what it was");
    OK(run_loss_vjp(&w, 1));
    w.out.active[2] = 1; /* a decision that no forward leaves behind */
    IS(SMOE_EDOM, run_loss_vjp(&w, 1));
    for (size_t k = w.at[WP]; k < w.at[BP]; k++) w.theta[k] = 0;
    OK(run_loss(&w, w.theta));
    ck_assert_msg(*w.out.similarity == 0 && w.out.active[1] == 0, "S.5: a constant head is compared");
    release(&w);
}
END_TEST

/* Whatever chapter 6 offers is what a pair is compared by: kernel, bandwidth with its rules, estimator, route, and the
 * activations of E.1 to E.3. */
/* evidence properties: S.4 S.5 */
START_TEST(options_reach_the_cka)
{
    world w = varied_world(_i, 40);
    smoe_similarity *how = &w.opt.similarity;
    how->bandwidth = _i & 1 ? SMOE_BANDWIDTH_MEDIAN : SMOE_BANDWIDTH_ABSOLUTE;
    how->diagonal = _i & 2 ? SMOE_DIAGONAL_WITHOUT : SMOE_DIAGONAL_WITH;
    how->middle = _i & 4 ? SMOE_MIDDLE_LOWER : SMOE_MIDDLE_MEAN;
    how->median = _i & 8 ? SMOE_MEDIAN_SQUARE : SMOE_MEDIAN_DISTANCE;
    how->route = how->kernel == SMOE_KERNEL_LINEAR && (_i & 1) ? SMOE_ROUTE_FEATURES : SMOE_ROUTE_GRAM;
    w.shape.layer.phi = _i % 3 == 0 ? SMOE_GELU_TANH : w.shape.layer.phi;
    select_all(&w);
    OK(run_loss(&w, w.theta));
    double *part[12], cka;
    for (int k = 0; k < 12; k++) part[k] = room(40 * 5);
    const smoe_representation z[] = {{part[0], part[1], part[2], part[3], part[4], part[5]},
                                     {part[6], part[7], part[8], part[9], part[10], part[11]}};
    double *tokens = room(120), *work = room(smoe_cka_work(how, 40, 2, 2));
    const size_t n = smoe_pair_rows(40, 2, w.index, 1, 2, w.row);
    for (size_t k = 0; k < 3 * n; k++) tokens[k] = w.theta[3 * w.row[k / 3] + k % 3];
    const smoe_simsmoe_in in = inputs(&w, w.theta);
    OK(smoe_represent(&w.shape, &in, 1, n, tokens, &z[0]));
    OK(smoe_represent(&w.shape, &in, 2, n, tokens, &z[1]));
    OK(smoe_cka(how, n, 2, z[0].z, 2, z[1].z, work, &cka));
    ck_assert_msg(w.out.cka[5] == cka, "S.5: cka %a, K.9 on the same rows %a", w.out.cka[5], cka);
    for (int k = 0; k < 12; k++) free(part[k]);
    free(tokens);
    free(work);
    release(&w);
}
END_TEST

/* Tokens that a pair does not share, and the order of a token's choices, do not touch its CKA; nor does a bias of the
 * head, or a power of two on a linear one under a linear kernel. */
/* evidence properties: S.1 S.4 S.5 */
START_TEST(what_does_not_matter)
{
    world w = varied_world(_i, 24);
    w.opt.threshold = -2;
    select_all(&w);
    OK(run_loss(&w, w.theta));
    const double cka = w.out.cka[1];
    for (size_t t = 0; t < 24; t++) {
        size_t *I = w.index + 2 * t, first = I[0];
        if (!smoe_shares(2, I, 0, 1)) w.theta[3 * t] += 1;
        I[0] = I[1];
        I[1] = first;
    }
    OK(run_loss(&w, w.theta));
    ck_assert_msg(w.out.cka[1] == cka, "S.4: CKA %a, was %a", w.out.cka[1], cka);
    w.theta[w.at[BP]] += 3;
    OK(run_loss(&w, w.theta));
    ck_assert_msg(fabs(w.out.cka[1] - cka) < 1e-13, "S.1: a bias of the head changes CKA by %g", w.out.cka[1] - cka);
    w.theta[w.at[BP]] -= 3;
    if (w.opt.similarity.kernel == SMOE_KERNEL_LINEAR) {
        for (size_t k = w.at[WP]; k < w.at[R]; k++) w.theta[k] *= 1024;
        OK(run_loss(&w, w.theta));
        ck_assert_msg(near(w.out.cka[1], cka, 64), "S.1: CKA %a under 1024 times the head, was %a", w.out.cka[1], cka);
    }
    release(&w);
}
END_TEST

/* The loss of several pairs is the sum of their losses, in order, and so is its gradient; the mean is that divided. */
/* evidence properties: S.5 */
START_TEST(pairs_add_up)
{
    world w = varied_world(_i, 24);
    w.opt.reduce = SMOE_PAIRS_SUM;
    double sum = 0, *g = room(w.at[R]);
    for (size_t k = 0; k < 9; k++) {
        if (k / 3 >= k % 3) continue;
        memset(w.out.selected, 0, 9 * sizeof(size_t));
        w.out.selected[k] = 1;
        OK(run_loss(&w, w.theta));
        sum += *w.out.similarity;
        OK(run_loss_vjp(&w, 1));
        for (size_t e = 0; e < w.at[R]; e++) g[e] += w.g[e];
    }
    select_all(&w);
    OK(run_loss(&w, w.theta));
    ck_assert_msg(*w.out.similarity == sum, "S.5: loss %a, its pairs' %a", *w.out.similarity, sum);
    OK(run_loss_vjp(&w, 1));
    for (size_t e = 0; e < w.at[R]; e++)
        ck_assert_msg(fabs(w.g[e] - g[e]) <= 1e-12 * (1 + fabs(g[e])), "S.5: gradient %zu is %g, its pairs' %g", e,
                      w.g[e], g[e]);
    w.opt.reduce = SMOE_PAIRS_MEAN;
    OK(run_loss(&w, w.theta));
    ck_assert_msg(*w.out.similarity == sum / 3, "S.5: mean %a", *w.out.similarity);
    free(g);
    release(&w);
}
END_TEST

/* --- properties: the layer and the step --- */

/* With the router in front: y, indices and weights are those of the SMoE layer (L.3), loss and gradients without
 * similarity those of a router's step (C.8), bit for bit. */
/* evidence properties: S.6 */
START_TEST(layer_is_the_smoe_layer)
{
    world w = varied_world(2 * _i, 24);
    const size_t T = 24, d = 3, h = 4, N = 3, K = 2;
    w.shape.layer.order = (smoe_weight_order)_i;
    w.opt.c_similarity = w.cot_similarity = 0;
    uint64_t seed = 8;
    double wr[9], br[3], margin[24], *p = room(T * N), dwr[9], dbr[3], *dx = room(T * d), *work = room(T * (N + d) + N);
    slopes_fill(&seed, 1, 9, wr);
    slopes_fill(&seed, 1, 3, br);
    double *r = w.theta + w.at[R], *weight = w.theta + w.at[WEIGHT];
    OK(smoe_router(&w.shape.layer, w.theta, wr, br, r, w.index, weight, margin, p));
    OK(run_layer(&w, w.theta));
    OK(run_layer_vjp(&w));
    const smoe_simsmoe_grad g = gradients(&w);
    OK(smoe_router_vjp(&w.shape.layer, w.theta, wr, w.index, weight, p, g.r, g.weight, g.x, dx, dwr, dbr, work));

    const smoe_simsmoe_in mine = inputs(&w, w.theta);
    const smoe_layer_in in = {mine.x, wr, br, mine.w1, mine.b1, mine.w2, mine.b2};
    const smoe_compete_options opt = {.c_balance = w.opt.c_balance};
    double *y = room(T * d), *r2 = room(T * N), *s = room(T * N), *weight2 = room(T * K), *margin2 = room(T), terms[5];
    double *f = room(N), *P = room(N), *lse = room(T), *pp = room(T * N), *none = room(T * K);
    size_t *index = flags(T * K), *count = flags(N);
    const smoe_compete_out out = {y, r2, s, index, weight2, margin2, terms, terms + 1, terms + 2, terms + 3, terms + 4};
    const smoe_router_kept kept = {{flags(N + 1), flags(T * K), flags(T * K), room(T * N), room(T * K * d),
                                    room(T * K * d), room(T * K * h), room(T * K * h)},
                                   pp,
                                   f,
                                   P,
                                   lse,
                                   count};
    OK(smoe_router_step(&w.shape.layer, &opt, &in, &out, &kept));
    SAME(w.out.y, y, T * d, "S.6 y against L.3's");
    SAME(w.index, index, T * K, "S.6 index against L.3's");
    SAME(weight, weight2, T * K, "S.6 weight against L.3's");
    SAME(margin, margin2, T, "S.6 margin against L.3's");
    SAME(w.out.loss, out.loss, 1, "S.6 loss without similarity against C.8's");
    double *gx = room(T * d), gwr[9], gbr[3], *g1 = room(36), *gb1 = room(12), *g2 = room(36), *gb2 = room(9);
    const smoe_layer_grad grad = {gx, gwr, gbr, g1, gb1, g2, gb2};
    double *work2 = room(smoe_router_step_vjp_work(&w.shape.layer));
    const smoe_compete_cot cot = {w.dy, none, w.cot_loss, 0, 0, w.cot_balance, 0};
    OK(smoe_router_step_vjp(&w.shape.layer, &opt, &in, &out, &kept, &cot, &grad, work2));
    SAME(dx, gx, T * d, "S.6 dx against C.8's");
    SAME(dwr, gwr, 9, "S.6 dwr against C.8's");
    SAME(dbr, gbr, 3, "S.6 dbr against C.8's");
    SAME(g.w1, g1, 36, "S.6 dw1 against C.8's");
    SAME(g.b2, gb2, 9, "S.6 db2 against C.8's");

    OK(smoe_router_vjp(&w.shape.layer, w.theta, wr, w.index, weight, p, g.r, g.weight, g.x, g.x, dwr, dbr, work));
    SAME(g.x, dx, T * d, "S.6 dx in the place of the experts' share");
    double *const numbers[] = {p,
                               dx,
                               work,
                               y,
                               r2,
                               s,
                               weight2,
                               margin2,
                               f,
                               P,
                               lse,
                               pp,
                               none,
                               gx,
                               g1,
                               gb1,
                               g2,
                               gb2,
                               work2,
                               kept.layer.p,
                               kept.layer.xs,
                               kept.layer.o,
                               kept.layer.a,
                               kept.layer.u};
    size_t *const indices[] = {index, count, kept.layer.offset, kept.layer.slot, kept.layer.place};
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) free(numbers[k]);
    for (size_t k = 0; k < sizeof indices / sizeof *indices; k++) free(indices[k]);
    release(&w);
}
END_TEST

/* The layer's parts are the functions of S.2, S.3, S.5; a step adds the task, and with the code's tie beta = lambda rho
 * the terms are those of the code. */
/* evidence properties: S.6 S.7 */
START_TEST(composition)
{
    world w = varied_world(_i, 24);
    size_t shared[9], selected[9];
    double next[9];
    w.opt.unit = _i % 2 ? SMOE_UNIT_FRACTION : SMOE_UNIT_TOKENS;
    w.opt.due = _i / 2 % 2 ? SMOE_AT_LEAST : SMOE_ABOVE;
    OK(run_layer(&w, w.theta));
    const double layer = *w.out.loss, similarity = *w.out.similarity, balance = *w.out.balance;
    OK(smoe_shared_tokens(24, 3, 2, w.index, shared));
    OK(smoe_pair_counters(w.opt.unit, w.opt.due, w.opt.absent, w.opt.frequency, 24, 3, shared, w.counter, next,
                          selected));
    SAME(w.out.shared, shared, 9, "S.6 shared");
    SAME(w.out.next, next, 9, "S.6 next");
    SAME(w.out.selected, selected, 9, "S.6 selected");
    OK(run_loss(&w, w.theta));
    ck_assert_msg(*w.out.similarity == similarity, "S.6: similarity %a, S.5 alone %a", similarity, *w.out.similarity);
    ck_assert_msg(layer == w.opt.c_balance * balance + w.opt.c_similarity * similarity, "S.6: loss %a", layer);
    OK(run_step(&w, w.theta));
    double task;
    OK(smoe_task_loss(72, w.out.y, w.target, &task));
    ck_assert_msg(w.task == task, "S.7: task %a, C.14's %a", w.task, task);
    ck_assert_msg(*w.out.loss == w.opt.c_task * task + w.opt.c_balance * balance + w.opt.c_similarity * similarity,
                  "S.7: loss %a", *w.out.loss);
    const double lambda = 0.25, rho = 2;
    w.opt.c_balance = lambda;
    w.opt.c_similarity = lambda * rho;
    OK(run_layer(&w, w.theta));
    ck_assert_msg(near(*w.out.loss, lambda * (balance + rho * similarity), 4), "S.7: the code's tie");
    w.opt.c_balance = w.opt.c_similarity = 0; /* and its default, lambda = 0 */
    OK(run_layer(&w, w.theta));
    ck_assert_msg(*w.out.loss == 0, "S.7: lambda = 0 leaves %a", *w.out.loss);
    OK(run_step_vjp(&w));
    release(&w);
}
END_TEST

/* --- on top of every gate --- */

enum { GT = 48, GD = 3, GN = 6, GK = 2, GM = 64 };

/* Random numbers for a gate, and room for what it keeps and the layer does not need. */
typedef struct {
    double a[GM * GM], b[GM * GM], c[GM * GM], e[GM * GM], noise[GT * GN], bias[GN], unit[GT];
    double w0[GM * GM], w1[GM * GM], w2[GM * GM], w3[GM * GM], w4[GM * GM], w5[GM * GM], w6[GM * GM], margin[GT];
    size_t count[GT * GK], kept[GT * GK];
} gate_room;

typedef smoe_status (*any_gate)(gate_room *m, const double *x, double *r, size_t *index, double *weight);

static smoe_status by_logits(smoe_weight_order order, gate_room *m, double *r, size_t *index, double *weight)
{
    return smoe_gate_weights(order, GT, GN, GK, r, index, weight, m->margin, m->w6);
}

static smoe_status gate_1(gate_room *m, const double *x, double *r, size_t *index, double *weight)
{
    OK(smoe_gate_linear(GT, GD, GN, x, m->a, m->bias, r));
    return by_logits(SMOE_TOPK_SOFTMAX, m, r, index, weight);
}

static smoe_status gate_3(gate_room *m, const double *x, double *r, size_t *index, double *weight)
{
    OK(smoe_gate_linear(GT, GD, GN, x, m->a, m->bias, r));
    return by_logits(SMOE_SOFTMAX_TOPK, m, r, index, weight);
}

static smoe_status gate_4(gate_room *m, const double *x, double *r, size_t *index, double *weight)
{
    OK(smoe_gate_linear(GT, GD, GN, x, m->a, m->bias, r));
    return by_logits(SMOE_SOFTMAX_TOPK_RENORM, m, r, index, weight);
}

static smoe_status gate_5(gate_room *m, const double *x, double *r, size_t *index, double *weight)
{
    OK(smoe_gate_jitter(GT, GD, GN, x, m->unit, m->a, m->bias, r, m->w0));
    return by_logits(SMOE_TOPK_SOFTMAX, m, r, index, weight);
}

static smoe_status gate_6(gate_room *m, const double *x, double *r, size_t *index, double *weight)
{
    return smoe_gate_noisy(GT, GD, GN, GK, 0.01, x, m->a, m->b, m->noise, m->w0, m->w1, m->w2, r, index, weight,
                           m->margin, m->w3);
}

static smoe_status gate_7(gate_room *m, const double *x, double *r, size_t *index, double *weight)
{
    OK(smoe_gate_linear(GT, GD, GN, x, m->a, m->bias, r));
    return smoe_gate_sigmoid(SMOE_SIGMOID_NORM, GT, GN, GK, r, index, weight, m->margin, m->w0);
}

static smoe_status gate_7a(gate_room *m, const double *x, double *r, size_t *index, double *weight)
{
    OK(smoe_gate_linear(GT, GD, GN, x, m->a, m->bias, r));
    return smoe_gate_sigmoid(SMOE_SIGMOID_PLAIN, GT, GN, GK, r, index, weight, m->margin, m->w0);
}

static smoe_status gate_8(gate_room *m, const double *x, double *r, size_t *index, double *weight)
{
    return smoe_gate_frozen(GT, GD, GN, GK, x, m->a, r, index, weight, m->margin, m->w0);
}

static smoe_status gate_10(gate_room *m, const double *x, double *r, size_t *index, double *weight)
{
    OK(smoe_gate_linear(GT, GD, GN, x, m->a, m->bias, r));
    return smoe_gate_gshard(GT, GN, 5, SMOE_SECOND_THRESHOLD, 0.25, SMOE_NORM_BEFORE, r, m->unit, index, weight,
                            m->kept, m->margin, m->w0, m->w1, m->count);
}

static smoe_status gate_11(gate_room *m, const double *x, double *r, size_t *index, double *weight)
{
    OK(smoe_gate_hyper(GT, GD, GN, 2, 4, x, m->a, m->b, m->c, r, m->w0, m->w1));
    return by_logits(SMOE_TOPK_SOFTMAX, m, r, index, weight);
}

static smoe_status xmoe(smoe_xmoe_gate gate, smoe_cosine_input input, gate_room *m, const double *x, double *r,
                        size_t *index, double *weight)
{
    const smoe_xmoe_in in = {gate, input, GT, GD, 2, GN, GK, 1, 0.3, x, m->a, m->b};
    const smoe_xmoe_out out = {index, weight, m->margin, r, m->w0, m->w1, m->w2, {m->w3, m->w4, m->w5, m->w6}};
    return smoe_gate_xmoe(&in, &out);
}

static smoe_status gate_12(gate_room *m, const double *x, double *r, size_t *index, double *weight)
{
    return xmoe(SMOE_XMOE_SOFTMAX, SMOE_COSINE_NORMALISED, m, x, r, index, weight);
}

static smoe_status gate_12a(gate_room *m, const double *x, double *r, size_t *index, double *weight)
{
    return xmoe(SMOE_XMOE_SIGMOID, SMOE_COSINE_RAW, m, x, r, index, weight);
}

static smoe_status gate_13(gate_room *m, const double *x, double *r, size_t *index, double *weight)
{
    const smoe_perturbed_kept kept = {m->w0, m->w1, m->w2, m->w3};
    OK(smoe_gate_perturbed(GT, GD, GN, 0.1, 0.1, x, m->a, &kept, r));
    return by_logits(SMOE_TOPK_SOFTMAX, m, r, index, weight);
}

static smoe_status gate_16(gate_room *m, const double *x, double *r, size_t *index, double *weight)
{
    const smoe_deepseek_in in = {SMOE_DEEPSEEK_RENORM, GT, GD, GN, GK, 3, 2, 2.5, x, m->a, m->bias};
    const smoe_deepseek_out out = {index, weight, m->margin, r, m->w0};
    return smoe_gate_deepseek(&in, &out, m->w1, m->count);
}

/* Not a gate of chapter 2: the winners of a competition (C.1 to C.3), whose responses are balanced. */
static smoe_status gate_c2(gate_room *m, const double *x, double *r, size_t *index, double *weight)
{
    (void)x;
    return smoe_route(GT, GN, GK, GD, m->a, r, index, weight, m->margin, m->w0, m->w1);
}

static const struct {
    const char *name;
    any_gate gate;
} every[] = {{"G.1 G.2", gate_1}, {"G.3", gate_3},   {"G.4", gate_4},        {"G.5", gate_5},
             {"G.6", gate_6},     {"G.7", gate_7},   {"G.7 plain", gate_7a}, {"G.8", gate_8},
             {"G.10", gate_10},   {"G.11", gate_11}, {"G.12", gate_12},      {"G.12 raw sigmoid", gate_12a},
             {"G.13", gate_13},   {"G.16", gate_16}, {"C.2", gate_c2}};
enum { GATES = sizeof every / sizeof *every };

static void fill_gate(gate_room *m)
{
    uint64_t seed = 12;
    slopes_fill(&seed, 1, GM * GM, m->a);
    slopes_fill(&seed, 1, GM * GM, m->b);
    slopes_fill(&seed, 1, GM * GM, m->c);
    slopes_fill(&seed, 1, GT * GN, m->noise);
    slopes_fill(&seed, 0.1, GN, m->bias);
    for (size_t t = 0; t < GT; t++) m->unit[t] = (slopes_draw(&seed) + 1) / 2;
}

/* y and the gradient of the weights by definition; pairs and CKA of what this gate has chosen. */
static void check_against_definition(world *w, const char *name)
{
    const size_t d = GD, h = w->shape.layer.h, K = w->shape.layer.K;
    const smoe_simsmoe_in in = inputs(w, w->theta);
    const double *weight = w->theta + w->at[WEIGHT];
    size_t pairs = 0;
    for (size_t t = 0; t < GT; t++) {
        double y[GD] = {0}, o[GD], a[8], u[8];
        for (size_t j = 0; j < K; j++) {
            const size_t i = w->index[t * K + j];
            OK(smoe_expert_mlp(w->shape.layer.phi, 1, d, h, in.x + t * d, in.w1 + i * h * d, in.b1 + i * h,
                               in.w2 + i * d * h, in.b2 + i * d, a, u, o));
            smoe_axpy(d, weight[t * K + j], o, y);
            const double got = w->g[w->at[WEIGHT] + t * K + j];
            ck_assert_msg(got == smoe_dot(d, w->dy + t * d, o), "S.6 on %s: dweight %a", name, got);
        }
        for (size_t e = 0; e < d; e++)
            ck_assert_msg(w->out.y[t * d + e] == y[e], "S.6 on %s: y %a, by definition %a", name, w->out.y[t * d + e],
                          y[e]);
    }
    for (size_t k = 0; k < GN * GN; k++) {
        const size_t n = smoe_pair_rows(GT, K, w->index, k / GN, k % GN, w->row);
        if (k / GN >= k % GN) continue;
        ck_assert_msg(w->out.shared[k] == n, "S.2 on %s: %zu shared", name, w->out.shared[k]);
        ck_assert_msg(w->out.selected[k] == (n > 0), "S.3 on %s: %zu shared, selected %zu", name, n,
                      w->out.selected[k]);
        pairs += w->out.active[k];
    }
    ck_assert_msg(K == 1 ? pairs == 0 : pairs >= 3, "S.5 on %s: %zu pairs are compared", name, pairs);
    ck_assert_msg(K == 1 || *w->out.similarity > 0, "S.5 on %s: similarity %a", name, *w->out.similarity);
}

/* evidence properties: S.5 S.6 S.7 */
START_TEST(every_gate)
{
    const bool stable = _i == GATES; /* G.14: one expert a token, so no pairs */
    const smoe_simsmoe_shape shape = {
        {SMOE_TOPK_SOFTMAX, SMOE_GELU, GT, GD, 4, GN, stable ? 1 : GK}, SMOE_HEAD_LINEAR, 3, 3};
    const smoe_simsmoe_options opt = {.frequency = 16, .c_task = 1, .c_balance = 0.5, .c_similarity = 1.5};
    world w = new_world(shape, opt, 31);
    gate_room *m = calloc(1, sizeof *m);
    fill_gate(m);
    double *r = w.theta + w.at[R], *weight = w.theta + w.at[WEIGHT];
    if (stable)
        OK(smoe_gate_stable(SMOE_STABLE_LEARNING, GT, GD, GN, w.theta, m->a, m->noise, r, w.index, weight, m->margin));
    else
        OK(every[_i].gate(m, w.theta, r, w.index, weight));
    const char *name = stable ? "G.14" : every[_i].name;
    OK(run_layer(&w, w.theta));
    OK(run_layer_vjp(&w));
    check_against_definition(&w, name);
    check_gradient(&w, PARTS, exact_layer_scalar, layer_scalar, name);
    OK(run_step(&w, w.theta));
    OK(run_step_vjp(&w));
    check_gradient(&w, PARTS, exact_step_scalar, step_scalar, name);
    free(m);
    release(&w);
}
END_TEST

/* --- errors --- */

static void poison_outputs(world *w)
{
    const size_t N2 = w->shape.layer.N * w->shape.layer.N;
    poison_all(w->shape.layer.T * w->shape.layer.d, w->out.y);
    poison_all(3, w->scalars);
    poison_all(N2, w->out.next);
    poison_all(N2, w->out.cka);
    poison_all(w->at[PARTS], w->g);
    for (size_t k = 0; k < N2; k++) w->out.shared[k] = poison_flag;
    w->task = poison;
}

static bool nothing_written(const world *w)
{
    const size_t N2 = w->shape.layer.N * w->shape.layer.N;
    bool fine = untouched(w->shape.layer.T * w->shape.layer.d, w->out.y) && untouched(3, w->scalars) &&
                untouched(N2, w->out.next) && untouched(N2, w->out.cka) && untouched(w->at[PARTS], w->g) &&
                w->task == poison;
    for (size_t k = 0; k < N2; k++) fine = fine && w->out.shared[k] == poison_flag;
    return fine;
}

/* All functions that see the options and inputs say the same, and write nothing. */
static void all_refuse(world *w, smoe_status loss, smoe_status layer, const char *what)
{
    for (size_t k = 0; k < 9; k++) w->out.selected[k] = w->out.active[k] = k == 1;
    poison_outputs(w);
    const smoe_status got[] = {run_loss(w, w->theta), run_loss_vjp(w, 1),    run_layer(w, w->theta),
                               run_layer_vjp(w),      run_step(w, w->theta), run_step_vjp(w)};
    for (int k = 0; k < 6; k++) {
        const smoe_status want = k < 2 ? loss : layer;
        if (want == SMOE_OK) continue;
        ck_assert_msg(got[k] == want, "%s: call %d says %s, not %s", what, k, smoe_strerror(got[k]),
                      smoe_strerror(want));
    }
    ck_assert_msg(loss == SMOE_OK || nothing_written(w), "%s: refused, and something is written", what);
}

START_TEST(refused_shapes_and_options)
{
    const world good = varied_world(_i, 12); /* 0: MLP head, 1: linear, 4: RBF */
    world w;
#define REFUSED(status, change)          (w = good, (change), all_refuse(&w, status, status, #change))
#define REFUSED_BY_LAYER(status, change) (w = good, (change), all_refuse(&w, SMOE_OK, status, #change))
    REFUSED(SMOE_EINVAL, w.shape.layer.d = 0);
    REFUSED(SMOE_EINVAL, w.shape.layer.h = 0);
    REFUSED(SMOE_EINVAL, w.shape.layer.K = 0);
    REFUSED(SMOE_EINVAL, w.shape.layer.K = 4);
    REFUSED(SMOE_EINVAL, w.shape.p = 0);
    REFUSED(SMOE_EINVAL, w.shape.head = (smoe_head)7);
    REFUSED(SMOE_EINVAL, w.shape.layer.phi = (smoe_activation)7);
    if (w.shape.head == SMOE_HEAD_MLP) REFUSED(SMOE_EINVAL, w.shape.g = 0);
    REFUSED(SMOE_EINVAL, w.opt.compare = (smoe_compare)7);
    REFUSED(SMOE_EINVAL, w.opt.reduce = (smoe_pair_reduce)7);
    REFUSED(SMOE_EINVAL, w.opt.through_x = (smoe_x_gradient)7);
    REFUSED(SMOE_EINVAL, w.opt.similarity.kernel = (smoe_kernel)7);
    REFUSED(SMOE_EINVAL, w.opt.similarity.bandwidth = (smoe_bandwidth)7);
    REFUSED(SMOE_EINVAL, w.opt.similarity.diagonal = (smoe_diagonal)7);
    REFUSED(SMOE_EINVAL, w.opt.similarity.middle = (smoe_middle)7);
    REFUSED(SMOE_EINVAL, w.opt.similarity.median = (smoe_median_of)7);
    REFUSED(SMOE_EINVAL, w.opt.similarity.estimator = (smoe_estimator)7);
    REFUSED(SMOE_EINVAL, w.opt.similarity.route = (smoe_similarity_route)7);
    REFUSED(SMOE_EDOM, w.opt.threshold = NAN);
    if (good.opt.similarity.kernel == SMOE_KERNEL_RBF) {
        REFUSED(SMOE_EINVAL, w.opt.similarity.route = SMOE_ROUTE_FEATURES);
        REFUSED(SMOE_EDOM, w.opt.similarity.sigma = 0);
        REFUSED(SMOE_EDOM, w.opt.similarity.sigma = NAN);
    }
    REFUSED_BY_LAYER(SMOE_EINVAL, w.shape.layer.T = 0);
    REFUSED_BY_LAYER(SMOE_EINVAL, w.opt.unit = (smoe_pair_unit)7);
    REFUSED_BY_LAYER(SMOE_EINVAL, w.opt.due = (smoe_compare)7);
    REFUSED_BY_LAYER(SMOE_EINVAL, w.opt.absent = (smoe_absent)7);
    REFUSED_BY_LAYER(SMOE_EDOM, w.opt.frequency = NAN);
    REFUSED_BY_LAYER(SMOE_EDOM, w.opt.frequency = -1);
    REFUSED_BY_LAYER(SMOE_EDOM, w.opt.c_task = INFINITY);
    REFUSED_BY_LAYER(SMOE_EDOM, w.opt.c_balance = NAN);
    REFUSED_BY_LAYER(SMOE_EDOM, w.opt.c_similarity = NAN);
    w = good;
    release(&w);
}
END_TEST

START_TEST(refused_values)
{
    world w = varied_world(_i, 12);
    const bool linear = w.shape.head == SMOE_HEAD_LINEAR;
    for (int part = 0; part < PARTS; part++) {
        double *v = w.theta + w.at[part + 1] - 1, was = *v;
        *v = part % 2 ? NAN : -INFINITY;
        if (linear && (part == WH || part == BH)) { /* not read */
            OK(run_layer(&w, w.theta));
            OK(run_layer_vjp(&w));
        } else {
            all_refuse(&w, part < R ? SMOE_EDOM : SMOE_OK, SMOE_EDOM, part_name[part]);
        }
        *v = was;
    }
    w.index[5] = 3;
    all_refuse(&w, SMOE_EDOM, SMOE_EDOM, "an expert beyond N");
    w.index[5] = w.index[4];
    all_refuse(&w, SMOE_EDOM, SMOE_EDOM, "an expert named twice");
    w.index[5] = (w.index[4] + 1) % 3;
    poison_outputs(&w);
    const double bad_counter[] = {-1, NAN, INFINITY};
    for (int k = 0; k < 3; k++) {
        w.counter[5] = bad_counter[k];
        IS(SMOE_EDOM, run_layer(&w, w.theta));
        IS(SMOE_EDOM, run_step(&w, w.theta));
    }
    w.counter[5] = 0;
    ck_assert_msg(nothing_written(&w), "a bad counter, and something is written");
    w.target[3] = NAN;
    IS(SMOE_EDOM, run_step(&w, w.theta));
    ck_assert_msg(nothing_written(&w), "a bad target, and something is written");
    w.target[3] = 0;
    OK(run_step(&w, w.theta));
    double *const cot[] = {&w.cot_loss, &w.cot_balance, &w.cot_similarity, w.dy, &w.cot_task};
    for (int k = 0; k < 5; k++) {
        const double was = *cot[k];
        *cot[k] = NAN;
        poison_all(w.at[PARTS], w.g);
        if (k < 4) IS(SMOE_EDOM, run_layer_vjp(&w));
        ck_assert_msg(untouched(w.at[PARTS], w.g), "a bad cotangent %d, and something is written", k);
        IS(SMOE_EDOM, run_step_vjp(&w));
        *cot[k] = was;
    }
    w.target[3] = NAN;
    IS(SMOE_EDOM, run_step_vjp(&w));
    w.target[3] = 0;
    poison_all(w.at[PARTS], w.g);
    size_t *const flag[] = {&w.out.selected[5], &w.out.active[2]};
    for (int k = 0; k < 2; k++) {
        const size_t was = *flag[k];
        *flag[k] = 2;
        IS(SMOE_EDOM, run_layer_vjp(&w));
        IS(SMOE_EDOM, run_loss_vjp(&w, 1));
        if (k == 0) IS(SMOE_EDOM, run_loss(&w, w.theta));
        *flag[k] = was;
    }
    IS(SMOE_EDOM, run_loss_vjp(&w, NAN));
    ck_assert_msg(untouched(w.at[PARTS], w.g), "bad flags, and something is written");
    w.out.selected[3] = w.out.selected[0] = 9; /* not above the diagonal: not read */
    OK(run_loss(&w, w.theta));
    release(&w);
}
END_TEST

/* Finite inputs whose results are not. */
START_TEST(overflow)
{
    world w = varied_world(_i, 12);
    w.opt.similarity.estimator = SMOE_HSIC_BIASED;
    w.opt.through_x = SMOE_X_ATTACHED;
    w.opt.c_balance = 1e308;
    w.cot_loss = 1e10;
    OK(run_layer(&w, w.theta));
    IS(SMOE_EOVRFLW, run_layer_vjp(&w));
    IS(SMOE_EOVRFLW, run_step_vjp(&w));
    const double last = w.dy[12 * 3 - 1];
    w.dy[12 * 3 - 1] = NAN; /* refused before a total overflows */
    IS(SMOE_EDOM, run_layer_vjp(&w));
    IS(SMOE_EDOM, run_step_vjp(&w));
    w.dy[12 * 3 - 1] = last;
    w.opt.c_task = 1e308;
    IS(SMOE_EOVRFLW, run_step_vjp(&w));
    w.opt.c_balance = 0.5;
    w.theta[w.at[B2]] = 1e308; /* experts say so */
    w.theta[w.at[W2]] = 1e308;
    IS(SMOE_EOVRFLW, run_layer(&w, w.theta));
    IS(SMOE_EOVRFLW, run_step(&w, w.theta));
    select_all(&w);
    IS(SMOE_EOVRFLW, run_loss(&w, w.theta));
    memset(w.out.active, 0, 9 * sizeof(size_t));
    w.out.active[1] = 1;
    IS(SMOE_EOVRFLW, run_loss_vjp(&w, 1));
    release(&w);
    w = varied_world(_i, 12);
    w.opt.c_balance = w.opt.c_task = 1.5e308; /* only the total */
    w.opt.c_similarity = 0;
    IS(SMOE_EOVRFLW, run_step(&w, w.theta));
    for (size_t k = w.at[BP]; k < w.at[R]; k++) w.theta[k] = 1e308; /* the head says so */
    for (size_t k = w.at[WP]; k < w.at[BP]; k++) w.theta[k] = 1e308;
    for (size_t k = w.at[WH]; k < w.at[WP]; k++) w.theta[k] = 1;
    IS(SMOE_EOVRFLW, run_layer(&w, w.theta));
    release(&w);
}
END_TEST

START_TEST(refused_by_the_heads)
{
    double o[] = {1, 2}, wh[] = {1, 0, 0, 1}, bh[] = {0, 0}, wp[] = {3, 5}, bp[] = {1}, dz[] = {2}, out[32],
           *in[] = {o, wh, bh, wp, bp};
    double a[2] = {1, 2}, u[2] = {1, 2}, *back[] = {o, wh, wp, a, u, dz};
    poison_all(32, out);
    for (int zero_ = 0; zero_ < 3; zero_++) {
        const size_t d = zero_ == 0 ? 0 : 2, g = zero_ == 1 ? 0 : 2, p = zero_ == 2 ? 0 : 1;
        IS(SMOE_EINVAL, smoe_head_mlp(1, d, g, p, o, wh, bh, wp, bp, out, out + 2, out + 4));
        IS(SMOE_EINVAL,
           smoe_head_mlp_vjp(1, d, g, p, o, wh, wp, a, u, dz, out, out + 2, out + 6, out + 8, out + 10, out + 11));
        IS(SMOE_EINVAL,
           smoe_head_mlp_vjp_acc(1, d, g, p, o, wh, wp, a, u, dz, out, out + 2, out + 6, out + 8, out + 10, out + 11));
        if (zero_ == 1) continue;
        IS(SMOE_EINVAL, smoe_head_linear(1, d, p, o, wp, bp, out));
        IS(SMOE_EINVAL, smoe_head_linear_vjp(1, d, p, o, wp, dz, out, out + 2, out + 4));
        IS(SMOE_EINVAL, smoe_head_linear_vjp_acc(1, d, p, o, wp, dz, out, out + 2, out + 4));
    }
    for (int k = 0; k < 5; k++) {
        const double was = *in[k];
        *in[k] = INFINITY;
        IS(SMOE_EDOM, smoe_head_mlp(1, 2, 2, 1, o, wh, bh, wp, bp, out, out + 2, out + 4));
        if (k != 1 && k != 2) IS(SMOE_EDOM, smoe_head_linear(1, 2, 1, o, wp, bp, out));
        *in[k] = was;
    }
    for (int k = 0; k < 6; k++) {
        const double was = *back[k];
        *back[k] = NAN;
        IS(SMOE_EDOM,
           smoe_head_mlp_vjp(1, 2, 2, 1, o, wh, wp, a, u, dz, out, out + 2, out + 6, out + 8, out + 10, out + 11));
        if (k != 1 && k != 3 && k != 4) IS(SMOE_EDOM, smoe_head_linear_vjp(1, 2, 1, o, wp, dz, out, out + 2, out + 4));
        *back[k] = was;
    }
    ck_assert_msg(untouched(32, out), "S.1: refused, and something is written");
    wp[0] = 1e308;
    o[0] = 10;
    a[0] = 1;
    dz[0] = 100;
    IS(SMOE_EOVRFLW, smoe_head_mlp(1, 2, 2, 1, o, wh, bh, wp, bp, out, out + 2, out + 4));
    IS(SMOE_EOVRFLW, smoe_head_linear(1, 2, 1, o, wp, bp, out));
    IS(SMOE_EOVRFLW,
       smoe_head_mlp_vjp(1, 2, 2, 1, o, wh, wp, a, u, dz, out, out + 2, out + 6, out + 8, out + 10, out + 11));
    IS(SMOE_EOVRFLW, smoe_head_linear_vjp(1, 2, 1, o, wp, dz, out, out + 2, out + 4));
    wh[0] = 1e308;
    wp[0] = 0;
    IS(SMOE_EOVRFLW, smoe_head_mlp(1, 2, 2, 1, o, wh, bh, wp, bp, out, out + 2, out + 4)); /* inside alone */
    wh[0] = 1;
    const size_t start[] = {2, 6, 8, 10}; /* each gradient in turn has overflowed before */
    for (int k = 0; k < 4; k++) {
        memset(out, 0, sizeof out);
        out[start[k]] = INFINITY;
        IS(SMOE_EOVRFLW,
           smoe_head_mlp_vjp_acc(1, 2, 2, 1, o, wh, wp, a, u, dz, out, out + 2, out + 6, out + 8, out + 10, out + 11));
        if (k >= 2) IS(SMOE_EOVRFLW, smoe_head_linear_vjp_acc(1, 2, 1, o, wp, dz, out, out + 8, out + 10));
    }
    OK(smoe_head_mlp(0, 2, 2, 1, o, wh, bh, wp, bp, out, out, out));
    OK(smoe_head_linear_vjp(0, 2, 1, o, wp, dz, out, out + 2, out + 4));
    ck_assert_msg(out[2] == 0 && out[4] == 0, "S.1: the gradient of no rows");
}
END_TEST

START_TEST(refused_by_the_pairs)
{
    const size_t index[] = {0, 1, 2, 1}, twice[] = {0, 1, 2, 2}, beyond[] = {0, 1, 2, 3}, shared[9] = {0};
    size_t got[9] = {poison_flag}, selected[9] = {poison_flag};
    double counter[9] = {0}, next[9] = {poison};
    IS(SMOE_EINVAL, smoe_shared_tokens(2, 3, 0, index, got));
    IS(SMOE_EINVAL, smoe_shared_tokens(2, 1, 2, index, got));
    IS(SMOE_EDOM, smoe_shared_tokens(2, 3, 2, twice, got));
    IS(SMOE_EDOM, smoe_shared_tokens(2, 3, 2, beyond, got));
    ck_assert_msg(got[0] == poison_flag, "S.2: refused, and something is written");
#define COUNTERS(unit, compare, absent, f, T, N)                                                                       \
    smoe_pair_counters((smoe_pair_unit)(unit), (smoe_compare)(compare), (smoe_absent)(absent), f, T, N, shared,        \
                       counter, next, selected)
    IS(SMOE_EINVAL, COUNTERS(7, 0, 0, 1, 2, 3));
    IS(SMOE_EINVAL, COUNTERS(0, 7, 0, 1, 2, 3));
    IS(SMOE_EINVAL, COUNTERS(0, 0, 7, 1, 2, 3));
    IS(SMOE_EINVAL, COUNTERS(0, 0, 0, 1, 0, 3));
    IS(SMOE_EINVAL, COUNTERS(0, 0, 0, 1, 2, 0));
    IS(SMOE_EDOM, COUNTERS(0, 0, 0, -1, 2, 3));
    IS(SMOE_EDOM, COUNTERS(0, 0, 0, INFINITY, 2, 3));
    const double bad[] = {-0x1p-1074, NAN, INFINITY};
    for (int k = 0; k < 3; k++) {
        counter[5] = bad[k];
        IS(SMOE_EDOM, COUNTERS(0, 0, 0, 1, 2, 3));
    }
    ck_assert_msg(next[0] == poison && selected[0] == poison_flag, "S.3: refused, and something is written");
    counter[5] = -0.0;
    OK(COUNTERS(0, 0, 0, 1, 2, 3));
}
END_TEST

START_TEST(refused_by_the_router)
{
    world w = varied_world(0, 12);
    const size_t T = 12, N = 3;
    double wr[9] = {1, 2, 3}, br[3] = {0}, margin[12], *p = room(T * N), *r = w.theta + w.at[R],
           *weight = w.theta + w.at[WEIGHT];
    double dr[36] = {0}, dweight[24] = {0}, dx_experts[36] = {0}, dx[36], dwr[9], dbr[3], work[36 + 36 + 3];
    smoe_layer_shape s = w.shape.layer;
#define FORWARD()  smoe_router(&s, w.theta, wr, br, r, w.index, weight, margin, p)
#define BACKWARD() smoe_router_vjp(&s, w.theta, wr, w.index, weight, p, dr, dweight, dx_experts, dx, dwr, dbr, work)
    OK(FORWARD());
    OK(BACKWARD());
    s.d = 0;
    IS(SMOE_EINVAL, FORWARD());
    IS(SMOE_EINVAL, BACKWARD());
    s = w.shape.layer;
    s.K = 0;
    IS(SMOE_EINVAL, FORWARD());
    IS(SMOE_EINVAL, BACKWARD());
    s.K = 4;
    IS(SMOE_EINVAL, FORWARD());
    IS(SMOE_EINVAL, BACKWARD());
    s = w.shape.layer;
    s.order = (smoe_weight_order)7;
    IS(SMOE_EINVAL, FORWARD());
    IS(SMOE_EINVAL, BACKWARD());
    s = w.shape.layer;
    double *const values[] = {wr, dr, dweight, dx_experts};
    poison_all(36, dx);
    for (int k = 0; k < 4; k++) {
        const double was = *values[k];
        *values[k] = NAN;
        IS(SMOE_EDOM, BACKWARD());
        if (k == 0) IS(SMOE_EDOM, FORWARD());
        *values[k] = was;
    }
    ck_assert_msg(untouched(36, dx), "S.6: refused, and something is written");
    dr[0] = dx_experts[0] = 1.7e308;
    IS(SMOE_EOVRFLW, BACKWARD());
    free(p);
    release(&w);
}
END_TEST

/* The heads: what they read (in) and write (out), in the order of their arguments. */
enum {
    H_MLP,
    H_MLP_VJP,
    H_MLP_ACC,
    H_LINEAR,
    H_LINEAR_VJP,
    H_LINEAR_ACC,
    HEADS,
    HEAD_BEHIND = 30,
    HEAD_ROOM = 20 + HEAD_BEHIND
};

typedef struct {
    int head;
    size_t n, d, g, p, reads[6], writes[6]; /* elements of in, of out */
    double in[6][HEAD_ROOM], out[6][HEAD_ROOM];
} head_call;

static smoe_status call_head(head_call *c)
{
    const size_t n = c->n, d = c->d, g = c->g, p = c->p;
    double(*const in)[HEAD_ROOM] = c->in, (*const out)[HEAD_ROOM] = c->out;
#define READS(...)  memcpy(c->reads, ((size_t[6]){__VA_ARGS__}), sizeof c->reads)
#define WRITES(...) memcpy(c->writes, ((size_t[6]){__VA_ARGS__}), sizeof c->writes)
    if (c->head == H_MLP) {
        READS(n * d, g * d, g, p * g, p);
        WRITES(n * g, n * g, n * p);
        return smoe_head_mlp(n, d, g, p, in[0], in[1], in[2], in[3], in[4], out[0], out[1], out[2]);
    }
    if (c->head == H_MLP_VJP || c->head == H_MLP_ACC) {
        READS(n * d, g * d, p * g, n * g, n * g, n * p);
        WRITES(n * d, g * d, g, p * g, p, n * g);
        return (c->head == H_MLP_VJP ? smoe_head_mlp_vjp : smoe_head_mlp_vjp_acc)(
            n, d, g, p, in[0], in[1], in[2], in[3], in[4], in[5], out[0], out[1], out[2], out[3], out[4], out[5]);
    }
    if (c->head == H_LINEAR) {
        READS(n * d, p * d, p);
        WRITES(n * p);
        return smoe_head_linear(n, d, p, in[0], in[1], in[2], out[0]);
    }
    READS(n * d, p * d, n * p);
    WRITES(n * d, p * d, p);
    return (c->head == H_LINEAR_VJP ? smoe_head_linear_vjp : smoe_head_linear_vjp_acc)(n, d, p, in[0], in[1], in[2],
                                                                                       out[0], out[1], out[2]);
}

/* Inputs are `value` with NaN behind them, results infinite, but 0 where they are added to. */
static void start_head(head_call *c, int head, bool rising, double value)
{
    memset(c, 0, sizeof *c);
    c->head = head;
    c->n = rising ? 2 : 5, c->d = rising ? 3 : 4, c->g = rising ? 4 : 3, c->p = rising ? 5 : 2;
    (void)call_head(c); /* how much there is */
    for (size_t i = 0; i < 6; i++)
        for (size_t k = 0; k < HEAD_ROOM; k++) {
            c->in[i][k] = k < c->reads[i] ? value : NAN;
            c->out[i][k] = k < c->writes[i] && (head == H_MLP_ACC || head == H_LINEAR_ACC) ? 0 : INFINITY;
        }
}

/* Each element of an input is asked for; what is behind one is not, and what is behind a result is neither looked at nor written. */
START_TEST(heads_read_to_the_last)
{
    head_call c;
    start_head(&c, _i / 2, _i % 2, 1);
    ck_assert_msg(call_head(&c) == SMOE_OK, "S.1, head %d: what is behind is looked at", c.head);
    for (size_t i = 0; i < 6; i++)
        for (size_t k = 0; k < HEAD_ROOM; k++)
            ck_assert_msg((k < c.writes[i]) == isfinite(c.out[i][k]), "S.1, head %d: [%zu] of result %zu", c.head, k,
                          i);
    for (size_t i = 0; i < 6; i++) poison_all(HEAD_ROOM, c.out[i]);
    for (size_t i = 0; i < 6; i++)
        for (size_t k = 0; k < c.reads[i]; k++) {
            c.in[i][k] = k % 2 == 0 ? NAN : INFINITY;
            ck_assert_msg(call_head(&c) == SMOE_EDOM, "S.1, head %d: [%zu] of input %zu", c.head, k, i);
            c.in[i][k] = 1;
        }
    for (size_t i = 0; i < 6; i++)
        ck_assert_msg(untouched(HEAD_ROOM, c.out[i]), "S.1, head %d: result %zu was written", c.head, i);
}
END_TEST

/* Of all results the last element of result `which` alone is not finite. */
static void head_overflows(head_call *c, size_t which)
{
    ck_assert_msg(call_head(c) == SMOE_EOVRFLW, "S.1, head %d: an overflow at the end of result %zu", c->head, which);
    for (size_t i = 0; i < 6; i++)
        for (size_t k = 0; k < c->writes[i]; k++)
            ck_assert_msg(isfinite(c->out[i][k]) == (i != which || k + 1 < c->writes[i]),
                          "S.1, head %d: [%zu] of %zu is %g", c->head, k, i, c->out[i][k]);
}

START_TEST(heads_overflow_in_the_last)
{
    head_call c;
    for (int rising = 0; rising < 2; rising++)
        for (int acc = 0; acc < 2; acc++) {
            start_head(&c, H_MLP, rising, 0);
            const size_t n = c.n, d = c.d, g = c.g, p = c.p;
            c.in[0][n * d - 1] = -0x1p600, c.in[1][g * d - 1] = 0x1p600;
            head_overflows(&c, 0); /* a is -inf, and max(a, 0) 0 */
            start_head(&c, H_MLP, rising, 0);
            c.in[0][n * d - 1] = 0x1p600, c.in[1][g * d - 1] = 1, c.in[3][p * g - 1] = 0x1p600;
            head_overflows(&c, 2);
            start_head(&c, H_LINEAR, rising, 0);
            c.in[0][n * d - 1] = c.in[1][p * d - 1] = 0x1p600;
            head_overflows(&c, 0);
            const int mlp = acc ? H_MLP_ACC : H_MLP_VJP, linear = acc ? H_LINEAR_ACC : H_LINEAR_VJP;
            for (size_t which = 0; which < 5; which++) { /* do, dwh, dbh, dwp, dbp */
                start_head(&c, mlp, rising, 0);
                double *const o = c.in[0], *const wh = c.in[1], *const wp = c.in[2], *const a = c.in[3],
                              *const u = c.in[4], *const dz = c.in[5];
                a[n * g - 1] = a[(n - 1) * g - 1] = 1; /* the last unit of the last two rows is active */
                dz[n * p - 1] = 0x1p600;
                if (which < 3) wp[p * g - 1] = which < 2 ? 1 : 0x1p423; /* da is 2^600, or 2^1023 */
                if (which == 0) wh[g * d - 1] = 0x1p600;
                if (which == 1) o[n * d - 1] = 0x1p600;
                if (which == 2) dz[(n - 1) * p - 1] = 0x1p600;
                if (which == 3) u[n * g - 1] = 0x1p600;
                if (which == 4) dz[n * p - 1] = dz[(n - 1) * p - 1] = 0x1p1023;
                head_overflows(&c, which);
                if (which == 1 || which == 2) continue;
                start_head(&c, linear, rising, 0); /* do, dwp, dbp */
                c.in[2][n * p - 1] = which < 4 ? 0x1p600 : 0x1p1023;
                if (which == 0) c.in[1][p * d - 1] = 0x1p600;
                if (which == 3) c.in[0][n * d - 1] = 0x1p600;
                if (which == 4) c.in[2][(n - 1) * p - 1] = 0x1p1023;
                head_overflows(&c, which == 0 ? 0 : which - 2);
            }
        }
}
END_TEST

/* x gets what the experts owe it and what the router does: the sum overflows in the last element alone. */
START_TEST(the_routers_share_overflows_in_the_last)
{
    enum { T = 2, D = 3, N = 4, K = 2 };
    const smoe_layer_shape s = {.T = T, .d = D, .N = N, .K = K, .order = SMOE_TOPK_SOFTMAX};
    const size_t index[T * K] = {0, 1, 2, 3};
    const double x[T * D] = {0}, weight[T * K] = {.5, .5, .5, .5}, p[T * N] = {0}, dweight[T * K] = {0};
    double wr[N * D] = {0}, dr[T * N + 8], dx_experts[T * D + 8], dx[T * D + 8], dwr[N * D], dbr[N];
    double work[T * N + T * D + N];
    for (size_t k = 0; k < T * N + 8; k++) dr[k] = k < T * N ? 0 : NAN;
    for (size_t k = 0; k < T * D + 8; k++) dx_experts[k] = k < T * D ? 0 : NAN, dx[k] = INFINITY;
#define BACK() smoe_router_vjp(&s, x, wr, index, weight, p, dr, dweight, dx_experts, dx, dwr, dbr, work)
    OK(BACK());
    ck_assert_msg(isfinite(dx[T * D - 1]) && dx[T * D] == INFINITY, "S.6: the gradient of x ends elsewhere");
    poison_all(T * D, dx);
    for (size_t k = 0; k < T * N + T * D; k++) {
        double *const at = k < T * N ? dr + k : dx_experts + k - T * N;
        *at = NAN;
        ck_assert_msg(BACK() == SMOE_EDOM && untouched(T * D, dx), "S.6: [%zu] of dr and dx", k);
        *at = 0;
    }
    dr[T * N - 1] = 0x1p600, wr[N * D - 1] = 0x1p423, dx_experts[T * D - 1] = 0x1p1023;
    IS(SMOE_EOVRFLW, BACK());
    for (size_t k = 0; k < T * D; k++)
        ck_assert_msg(isfinite(dx[k]) == (k + 1 < T * D), "S.6: dx[%zu] is %g", k, dx[k]);
#undef BACK
}
END_TEST

/* The last double of a workspace is written, and nothing behind it, by the gradient of a pair's loss and of the layer, where CKA is biased
 * and by features: so neither size is too small or too large. */
START_TEST(workspaces_are_used_to_the_last)
{
    enum { BEHIND = 64 };
    world w = varied_world(_i, 12);
    w.opt.similarity = (smoe_similarity){.kernel = SMOE_KERNEL_LINEAR, .route = SMOE_ROUTE_FEATURES};
    w.opt.frequency = 0; /* all pairs are compared */
    const size_t loss = smoe_similarity_loss_work(&w.shape, &w.opt);
    const size_t all = smoe_simsmoe_layer_vjp_work(&w.shape, &w.opt);
    free(w.work);
    w.work = room(all + BEHIND);
    for (int layer = 0; layer < 2; layer++) {
        const size_t size = layer ? all : loss;
        poison_all(all + BEHIND, w.work);
        OK(run_layer(&w, w.theta));
        memset(w.out.active, 0, 9 * sizeof(size_t));
        w.out.active[1] = 1;
        OK(layer ? run_layer_vjp(&w) : run_loss_vjp(&w, 1));
        ck_assert_msg(w.work[size - 1] != poison, "S.5, S.6: the last double of %zu of workspace is idle", size);
        ck_assert_msg(untouched(BEHIND, w.work + size), "S.5, S.6: written behind %zu doubles of workspace", size);
    }
    release(&w);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("simsmoe");
    TCase *values = tcase_create("values by hand"), *grads = tcase_create("gradients");
    TCase *properties = tcase_create("properties"), *gates = tcase_create("gates"), *errors = tcase_create("errors");
    tcase_add_test(values, head_by_hand);
    tcase_add_test(values, shared_by_hand);
    tcase_add_test(values, counters_by_hand);
    tcase_add_test(values, representation_by_hand);
    tcase_add_test(values, loss_by_hand);
    tcase_add_test(values, head_alone_by_hand);
    tcase_add_test(values, layer_and_step_by_hand);
    tcase_add_loop_test(grads, gradient_of_the_heads, 0, 4);
    tcase_add_loop_test(grads, gradient_of_the_loss, 0, 24);
    tcase_add_loop_test(grads, gradient_of_the_layer, 0, 16);
    tcase_add_loop_test(grads, gradient_of_the_step, 0, 16);
    tcase_add_loop_test(properties, pairs_by_definition, 1, 7);
    tcase_add_loop_test(properties, resumed, 0, 2);
    tcase_add_test(properties, units_and_edges);
    tcase_add_loop_test(properties, waiting_times, 0, 4);
    tcase_add_loop_test(properties, absent_pairs, 0, 2);
    tcase_add_loop_test(properties, detachment, 0, 12);
    tcase_add_loop_test(properties, nothing_to_do, 0, 10);
    tcase_add_loop_test(properties, collapse_is_stationary, 0, 12);
    tcase_add_loop_test(properties, head_alone, 0, 6);
    tcase_add_loop_test(properties, few_rows, 0, 3);
    tcase_add_loop_test(properties, no_variance, 0, 12);
    tcase_add_loop_test(properties, options_reach_the_cka, 0, 24);
    tcase_add_loop_test(properties, what_does_not_matter, 0, 12);
    tcase_add_loop_test(properties, pairs_add_up, 0, 12);
    tcase_add_loop_test(properties, layer_is_the_smoe_layer, 0, 3);
    tcase_add_loop_test(properties, composition, 0, 4);
    tcase_add_loop_test(gates, every_gate, 0, GATES + 1);
    tcase_add_loop_test(errors, refused_shapes_and_options, 0, 5);
    tcase_add_loop_test(errors, refused_values, 0, 2);
    tcase_add_loop_test(errors, overflow, 0, 2);
    tcase_add_test(errors, refused_by_the_heads);
    tcase_add_test(errors, refused_by_the_pairs);
    tcase_add_test(errors, refused_by_the_router);
    tcase_add_loop_test(errors, heads_read_to_the_last, 0, 2 * HEADS);
    tcase_add_test(errors, heads_overflow_in_the_last);
    tcase_add_test(errors, the_routers_share_overflows_in_the_last);
    tcase_add_loop_test(errors, workspaces_are_used_to_the_last, 0, 2);
    suite_add_tcase(s, values);
    suite_add_tcase(s, grads);
    suite_add_tcase(s, properties);
    suite_add_tcase(s, gates);
    suite_add_tcase(s, errors);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
