/* Competition, spec/05-compete.md: hand-computed values, gradients by two methods, properties, every error path. */
#include <check.h>
#include <math.h>
#include <stdbool.h>
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

/* --- hand-computed values --- */

/* softplus(800) = 800 and softplus(-800) = 0, because e^-800 is below every double; softplus(0) = ln 2.  The
 * derivative is sigmoid: 1, 0, 1/2; times ds/d = 4/2 and 6/2.  Norm: |(3,4)| = 5, gradient 10 (3,4)/5; 0 at 0. */
/* evidence hand: C.1 */
START_TEST(responses_by_hand)
{
    const double o[] = {800, -800, 0, 0}, ds[] = {4, 6}, p[] = {3, 4, 0, 0}, dp[] = {10, 1}, m[] = {1, -3, 0, 0};
    const double ln2 = 0x1.62e42fefa39efp-1;
    double s[2], d_o[4];
    OK(smoe_response_softplus(2, 2, o, s));
    SAME(s, ((double[]){400, ln2}), 2, "C.1 s");
    OK(smoe_response_softplus_vjp(2, 2, o, ds, d_o));
    SAME(d_o, ((double[]){2, 0, 1.5, 1.5}), 4, "C.1 do");
    OK(smoe_response_norm(2, 2, p, s));
    SAME(s, ((double[]){5, 0}), 2, "C.1a s");
    OK(smoe_response_norm_vjp(2, 2, p, s, dp, d_o));
    for (int k = 0; k < 4; k++)
        ck_assert_msg(near(d_o[k], ((double[]){6, 8, 0, 0})[k], 2), "C.1a do[%d] %a", k, d_o[k]);
    OK(smoe_response_relu(2, 2, m, s));
    SAME(s, ((double[]){0.5, 0}), 2, "C.1b s");
    OK(smoe_response_relu_vjp(2, 2, m, ds, d_o)); /* ReLU'(0) = 0 */
    SAME(d_o, ((double[]){2, 0, 0, 0}), 4, "C.1b do");
    OK(smoe_response_sigmoid(2, 2, o, s));
    SAME(s, ((double[]){0.5, 0.5}), 2, "C.1c s");
    OK(smoe_response_sigmoid_vjp(2, 2, o, ds, d_o)); /* 1/4 at 0 */
    SAME(d_o, ((double[]){0, 0, 0.75, 0.75}), 4, "C.1c do");
    OK(smoe_response_silu(2, 2, o, s));
    SAME(s, ((double[]){400, 0}), 2, "C.1d s");
    OK(smoe_response_silu_vjp(2, 2, o, ds, d_o)); /* 1/2 at 0 */
    SAME(d_o, ((double[]){2, 0, 1.5, 1.5}), 4, "C.1d do");
}
END_TEST

/* (3,1): weights 3/4, 1/4; for dweight (1,0) the mean is 3/4 and dvalue = (1/4, -3/4)/4.  Version 1 at a tie: 1/2,
 * 1/2 and 1/2 (1 - 1/2) = 1/4. */
/* evidence hand: C.2 */
START_TEST(weights_by_hand)
{
    const double value[] = {3, 1}, tie[] = {5, 5}, dweight[] = {1, 0};
    double weight[2], dvalue[2];
    OK(smoe_compete_weights(2, value, weight));
    SAME(weight, ((double[]){0.75, 0.25}), 2, "C.2 weight");
    OK(smoe_compete_weights_vjp(2, value, weight, dweight, dvalue));
    SAME(dvalue, ((double[]){0.0625, -0.1875}), 2, "C.2 dvalue");
    OK(smoe_compete_weights_v1(2, tie, weight));
    SAME(weight, ((double[]){0.5, 0.5}), 2, "C.2 version 1 weight");
    OK(smoe_compete_weights_v1_vjp(2, weight, dweight, dvalue));
    SAME(dvalue, ((double[]){0.25, -0.25}), 2, "C.2 version 1 dvalue");
}
END_TEST

/* Responses of (1600,-800), (-1000,800), (2400,2400): 800, 400, 2400.  Winners 2 and 0, margin 400, weights 3/4 and
 * 1/4, y = 3/4 (2400,2400) + 1/4 (1600,-800).  For dy = (1,0): dweight = (2400,1600), mean 2200, dvalue =
 * (200,-600)/3200 = (1/16,-3/16); do_2 = 3/4 (1,0) + (1/32)(1,1), do_0 = 1/4 (1,0) - (3/32)(1,0), do_1 = 0. */
/* evidence hand: C.1 C.2 C.3 */
START_TEST(route_by_hand)
{
    const double o[] = {1600, -800, -1000, 800, 2400, 2400}, dy[] = {1, 0}, none[3] = {0};
    double s[3], weight[2], margin, y[2], value[2], d_o[6], dweight[2], work[6 + 3 + 6];
    size_t index[2];
    OK(smoe_route(1, 3, 2, 2, o, s, index, weight, &margin, y, value));
    SAME(s, ((double[]){800, 400, 2400}), 3, "C.1 s");
    ck_assert_msg(index[0] == 2 && index[1] == 0, "C.2: winners %zu, %zu", index[0], index[1]);
    SAME(weight, ((double[]){0.75, 0.25}), 2, "C.2 weight");
    ck_assert_msg(margin == 400, "C.2: margin %a", margin);
    SAME(y, ((double[]){2200, 1600}), 2, "C.3 y");
    OK(smoe_compete_combine(3, 2, 2, index, weight, o, y));
    SAME(y, ((double[]){2200, 1600}), 2, "C.3 y");
    OK(smoe_compete_combine_vjp(3, 2, 2, index, weight, o, dy, dweight, d_o));
    SAME(dweight, ((double[]){2400, 1600}), 2, "C.3 dweight");
    SAME(d_o, ((double[]){0.25, 0, 0, 0, 0.75, 0}), 6, "C.3 do");
    OK(smoe_route_vjp(1, 3, 2, 2, o, s, index, weight, dy, none, none, d_o, work));
    SAME(d_o, ((double[]){0.15625, 0, 0, 0, 0.78125, 0.03125}), 6, "C.1 C.2 C.3 do");
}
END_TEST

/* Version 1: |(3,4)| = 5 twice and |(0,1)| = 1: the tie of the two goes 0, 1, weights 1/2, y = ((3,4) + (-3,4))/2 =
 * (0,4). For dy = (0,1): both dweight are 4, so nothing goes through the weights, and do = 1/2 (0,1). */
/* evidence hand: C.2 C.3 */
START_TEST(route_version_1_by_hand)
{
    const double o[] = {3, 4, -3, 4, 0, 1}, dy[] = {0, 1}, none[3] = {0};
    double s[3], weight[2], margin, y[2], value[2], d_o[6], work[6 + 3 + 6];
    size_t index[2];
    OK(smoe_route_v1(1, 3, 2, 2, o, s, index, weight, &margin, y, value));
    SAME(s, ((double[]){5, 5, 1}), 3, "C.1a s");
    ck_assert_msg(index[0] == 0 && index[1] == 1 && margin == 4, "C.2: winners %zu, %zu", index[0], index[1]);
    SAME(y, ((double[]){0, 4}), 2, "C.3 y");
    OK(smoe_route_v1_vjp(1, 3, 2, 2, o, s, index, weight, dy, none, none, d_o, work));
    SAME(d_o, ((double[]){0, 0.5, 0, 0.5, 0, 0}), 6, "C.3 do");
}
END_TEST

/* p - q = (1/4, 0, -1/8, -1/8): squares sum to 6/64, over 4 experts 3/128.  Winners 0 and 2: (1/16 + 1/64)/2 = 5/128,
 * times theta = 1/2.  Sum 11/256.  dp = (2/4)(p - q) + at winners (2 * 1/2 / 2)(p - q). */
/* evidence hand: C.5 */
START_TEST(distill_by_hand)
{
    const double p[] = {0.5, 0.25, 0.125, 0.125}, q[] = {0.25, 0.25, 0.25, 0.25};
    const size_t index[] = {0, 2};
    double loss, dp[4];
    OK(smoe_distill_loss(1, 4, 2, 0.5, p, q, index, &loss));
    ck_assert_msg(loss == 11.0 / 256, "C.5: loss %a, by hand 11/256", loss);
    OK(smoe_distill_loss_vjp(1, 4, 2, 0.5, p, q, index, 1, dp));
    SAME(dp, ((double[]){0.25, 0, -0.125, -0.0625}), 4, "C.5 dp");
}
END_TEST

/* r = (0,0) gives (1/2,1/2), s = (-400,400) gives (0,1) (C.4): p - q = (1/2,-1/2), winner 1, theta = 1/8: (1/4 +
 * 1/4)/2 + 1/8 * 1/4 = 9/32.  dp = (1/2, -1/2 - 1/8), mean -1/16, dr = 1/2 (9/16, -9/16); q is saturated: ds = 0. The
 * other way about, r = (-400,400), s = (0,0), winner 0 by the tie rule: dq = -dp = (5/8,-1/2), ds = (9/32,-9/32). */
/* evidence hand: C.4 C.5 */
START_TEST(distill_from_scores_by_hand)
{
    const double even[] = {0, 0}, sure[] = {-400, 400};
    const size_t one = 1, zero = 0;
    double p[2], q[2], loss, dr[2], ds[2], work[2];
    OK(smoe_distill(1, 2, 1, 0.125, even, sure, &one, p, q, &loss));
    SAME(q, ((double[]){0, 1}), 2, "C.4 q");
    ck_assert_msg(loss == 9.0 / 32, "C.5: loss %a, by hand 9/32", loss);
    OK(smoe_distill_vjp(1, 2, 1, 0.125, p, q, &one, 1, dr, work));
    OK(smoe_distill_target_vjp(1, 2, 1, 0.125, p, q, &one, 1, ds, work));
    SAME(dr, ((double[]){9.0 / 32, -9.0 / 32}), 2, "C.5 dr");
    SAME(ds, ((double[]){0, 0}), 2, "C.5 ds");
    OK(smoe_distill(1, 2, 1, 0.125, sure, even, &zero, p, q, &loss));
    OK(smoe_distill_vjp(1, 2, 1, 0.125, p, q, &zero, 1, dr, work));
    OK(smoe_distill_target_vjp(1, 2, 1, 0.125, p, q, &zero, 1, ds, work));
    SAME(dr, ((double[]){0, 0}), 2, "C.5 dr");
    SAME(ds, ((double[]){9.0 / 32, -9.0 / 32}), 2, "C.5 ds");
}
END_TEST

/* Directions e1, e2, -e1: of six ordered pairs two have cosine -1: -2/6, or -2/9 over K^2.  Rows (1,0) and (0,2):
 * cosine 0, gradient (2/2) e2 / 1 and (2/2) e1 / 2; half of it over K^2 = 4.  Rows (2,0) and (8,0): 1, or 1/2 over
 * K^2. */
/* evidence hand: C.6 */
START_TEST(diversity_by_hand)
{
    const double three[] = {1, 0, 0, 2, -3, 0}, two[] = {1, 0, 0, 2}, alike[] = {2, 0, 8, 0}, silent[] = {0, 0, 3, 0};
    double unit[6], norm[3], loss, d_o[4];
    OK(smoe_diversity_pairs(1, 3, 2, three, unit, norm, &loss));
    ck_assert_msg(loss == -2.0 / 6, "C.6: %a, by hand -1/3", loss);
    OK(smoe_diversity_square(1, 3, 2, three, unit, norm, &loss));
    ck_assert_msg(loss == -2.0 / 9, "C.6 square: %a, by hand -2/9", loss);
    OK(smoe_diversity_pairs(1, 2, 2, alike, unit, norm, &loss));
    ck_assert_msg(loss == 1, "C.6: identical directions give %a", loss);
    OK(smoe_diversity_square(1, 2, 2, alike, unit, norm, &loss));
    ck_assert_msg(loss == 0.5, "C.6 square: identical directions give %a", loss);
    OK(smoe_diversity_pairs(1, 2, 2, two, unit, norm, &loss));
    ck_assert_msg(loss == 0, "C.6: orthogonal directions give %a", loss);
    OK(smoe_diversity_pairs_vjp(1, 2, 2, unit, norm, 1, d_o));
    SAME(d_o, ((double[]){0, 1, 0.5, 0}), 4, "C.6 do");
    OK(smoe_diversity_square_vjp(1, 2, 2, unit, norm, 1, d_o));
    SAME(d_o, ((double[]){0, 0.5, 0.25, 0}), 4, "C.6 square do");
    OK(smoe_diversity_pairs(1, 2, 2, silent, unit, norm, &loss));
    OK(smoe_diversity_pairs_vjp(1, 2, 2, unit, norm, 1, d_o));
    ck_assert_msg(loss == 0, "C.6: a zero output has no direction, loss %a", loss);
    SAME(d_o, ((double[]){0, 0, 0, 0}), 4, "C.6 do beside a zero output");
}
END_TEST

/* --- a layer with all its arrays --- */

enum { X, WR, BR, W1, B1, W2, B2, BLOCKS };
static const char *const block_name[BLOCKS] = {"x", "wr", "br", "w1", "b1", "w2", "b2"};

typedef struct {
    smoe_layer_shape shape;
    smoe_compete_options opt;
    bool router; /* smoe_router_step */
    size_t n, at[BLOCKS + 1];
    double *theta, *g; /* inputs, and their gradients, one block after the other */
    size_t *indices;
    double *doubles;
    smoe_compete_out out;
    smoe_compete_kept kept;
    smoe_router_kept rkept;
    double *work, scalar[5];
    smoe_compete_cot cot;
    double *dy, *dweight;
    long double *frozen; /* the target q, where it is detached */
} layer;

static double *cut(double **block, size_t n)
{
    double *p = *block;
    *block += n;
    return p;
}

static const smoe_compete_options plain = {
    .theta = 0.125, .c_distill = 0.5, .c_diversity = 0.25, .c_balance = 2, .c_zloss = 4};

static layer *layer_new(size_t T, size_t d, size_t h, size_t N, size_t K)
{
    layer *l = calloc(1, sizeof *l);
    l->shape = (smoe_layer_shape){SMOE_TOPK_SOFTMAX, SMOE_GELU, T, d, h, N, K};
    l->opt = plain;
    const size_t size[BLOCKS] = {T * d, N * d, N, N * h * d, N * h, N * d * h, N * d}, A = T * K;
    for (int b = 0; b < BLOCKS; b++) l->at[b + 1] = l->at[b] + size[b];
    l->n = l->at[BLOCKS];
    l->theta = room(l->n), l->g = room(l->n), l->dy = room(T * d), l->dweight = room(A);
    l->frozen = calloc(T * N + 1, sizeof *l->frozen);
    l->indices = calloc(5 * A + 4 * N + 2, sizeof *l->indices);
    double *p = l->doubles =
        room(T * N * (d + 10) + 2 * N * T * h + 20 * T * d + 20 * A * (d + h + 1) + 20 * N + 10 * T);
    size_t *q = l->indices;
    l->out = (smoe_compete_out){cut(&p, T * d), cut(&p, T * N), cut(&p, T * N), q,
                                cut(&p, A),     cut(&p, T),     l->scalar,      l->scalar + 1,
                                l->scalar + 2,  l->scalar + 3,  l->scalar + 4};
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
    l->work = room(smoe_layer_vjp_work(&l->shape));
    l->cot = (smoe_compete_cot){l->dy, l->dweight, 0, 0, 0, 0, 0};
    return l;
}

static void layer_free(layer *l)
{
    free(l->theta), free(l->g), free(l->dy), free(l->dweight), free(l->frozen);
    free(l->indices), free(l->doubles), free(l->work), free(l);
}

static smoe_status run(layer *l, const double *q)
{
    const size_t *at = l->at;
    const smoe_layer_in in = {q, q + at[WR], q + at[BR], q + at[W1], q + at[B1], q + at[W2], q + at[B2]};
    return l->router ? smoe_router_step(&l->shape, &l->opt, &in, &l->out, &l->rkept)
                     : smoe_compete_step(&l->shape, &l->opt, &in, &l->out, &l->kept);
}

static smoe_status back(layer *l)
{
    const size_t *at = l->at;
    const double *q = l->theta;
    double *g = l->g;
    const smoe_layer_in in = {q, q + at[WR], q + at[BR], q + at[W1], q + at[B1], q + at[W2], q + at[B2]};
    const smoe_layer_grad grad = {g, g + at[WR], g + at[BR], g + at[W1], g + at[B1], g + at[W2], g + at[B2]};
    /* just as much as is asked for, so that a sanitizer sees a step beyond it */
    const size_t n = l->router ? smoe_router_step_vjp_work(&l->shape) : smoe_compete_step_vjp_work(&l->shape, &l->opt);
    double *work = malloc((n ? n : 1) * sizeof *work);
    const smoe_status status =
        l->router ? smoe_router_step_vjp(&l->shape, &l->opt, &in, &l->out, &l->rkept, &l->cot, &grad, work)
                  : smoe_compete_step_vjp(&l->shape, &l->opt, &in, &l->out, &l->kept, &l->cot, &grad, work);
    free(work);
    return status;
}

static void draw_layer(layer *l, uint64_t seed)
{
    slopes_fill(&seed, 1.0, l->n, l->theta);
    slopes_fill(&seed, 1.0, l->shape.T * l->shape.d, l->dy);
    slopes_fill(&seed, 1.0, l->shape.T * l->shape.K, l->dweight);
    double c[5];
    slopes_fill(&seed, 1.0, 5, c);
    l->cot = (smoe_compete_cot){l->dy, l->dweight, c[0], 4 * c[1], c[2], c[3], c[4]};
    OK(run(l, l->theta));
    OK(back(l));
}

static bool all_zero(const layer *l, int block)
{
    for (size_t k = l->at[block]; k < l->at[block + 1]; k++)
        if (l->g[k] != 0) return false;
    return true;
}

/* One token x = 1 of width 1, two experts of one hidden unit: a = 1, o = +-800, so s = (800, 0) and q = (1, 0)
 * exactly; logits (2 - 2, 0) = (0, 0), p = (1/2, 1/2).  K = 1, theta = 1/8: y = 800, distill = (1/4 + 1/4)/2 +
 * (1/8)(1/4) = 9/32, diversity = 0, balance = 2 (1 * 1) = 2, loss = 1/2 9/32 + 1/4 0 + 2 2 = 4 + 9/64. dy = 1, dloss
 * = 2 (so the distillation has cotangent 1): dr = (-9/32, 9/32) as in distill_from_scores_by_hand with signs turned;
 * the balance has dP = 4 (2, 0), and q is saturated: 0; a single winner's weight is constant.  So do = (1, 0), dw2_0
 * = u = 1, da_0 = 800, dx = 800 + 2 (-9/32). */
/* evidence hand: C.7 C.8 */
START_TEST(competition_by_hand)
{
    layer *l = layer_new(1, 1, 1, 2, 1);
    l->shape.phi = SMOE_RELU;
    const double theta[] = {1, 2, 0, -2, 0, 1, 1, 0, 0, 800, -800, 0, 0};
    memcpy(l->theta, theta, sizeof theta);
    OK(run(l, l->theta));
    ck_assert_msg(l->out.index[0] == 0 && l->out.y[0] == 800, "C.3: y = %a", l->out.y[0]);
    SAME(l->out.s, ((double[]){800, 0}), 2, "C.1 s");
    SAME(l->scalar, ((double[]){4 + 9.0 / 64, 9.0 / 32, 0, 2, 0}), 5, "C.8 loss, distill, diversity, balance, zloss");
    l->dy[0] = 1;
    l->cot.loss = 2;
    OK(back(l));
    const double r = 9.0 / 32;
    SAME(l->g, ((double[]){800 - 2 * r, -r, r, -r, r, 800, 0, 800, 0, 1, 0, 1, 0}), l->n,
         "C.8 gradient x wr br w1 b1 w2 b2");
    layer_free(l);
}
END_TEST

/* Both experts win (K = 2): weights 800/800 and 0/800, directions 1 and -1: diversity -1; distill 1/4 + (1/8)(1/4) =
 * 9/32; f = (1/2,1/2): balance 2 (1/2) = 1;  loss = 9/64 - 1/4 + 2. */
/* evidence hand: C.7 C.8 */
START_TEST(competition_of_two_by_hand)
{
    layer *l = layer_new(1, 1, 1, 2, 2);
    l->shape.phi = SMOE_RELU;
    const double theta[] = {1, 2, 0, -2, 0, 1, 1, 0, 0, 800, -800, 0, 0};
    memcpy(l->theta, theta, sizeof theta);
    OK(run(l, l->theta));
    SAME(l->out.weight, ((double[]){1, 0}), 2, "C.2 weight");
    SAME(l->scalar, ((double[]){9.0 / 64 + 1.75, 9.0 / 32, -1, 1, 0}), 5, "C.8 losses");
    ck_assert_msg(l->out.margin[0] == INFINITY, "C.2: K = N, margin %a", l->out.margin[0]);
    layer_free(l);
}
END_TEST

/* The same experts by the router: logits tie at 0, expert 0 with weight 1; balance 2 (1 * 1/2) = 1, zloss (ln 2)^2,
 * loss = 2 * 1 + 4 (ln 2)^2.  dy = 1, dloss = 0, dzloss = 1: dr = 2 ln 2 (1/2, 1/2), dx = 800 + 2 ln 2. */
/* evidence hand: C.8 */
START_TEST(router_step_by_hand)
{
    layer *l = layer_new(1, 1, 1, 2, 1);
    l->shape.phi = SMOE_RELU;
    l->router = true;
    const double theta[] = {1, 2, 0, -2, 0, 1, 1, 0, 0, 800, -800, 0, 0}, ln2 = 0x1.62e42fefa39efp-1;
    memcpy(l->theta, theta, sizeof theta);
    l->out.s[0] = l->out.s[1] = 77;
    OK(run(l, l->theta));
    ck_assert_msg(l->out.index[0] == 0 && l->out.y[0] == 800, "L.3: y = %a", l->out.y[0]);
    SAME(l->out.s, ((double[]){0, 0}), 2, "C.8 s");
    const double zloss = 0x1.ebfbdff82c58fp-2, want[] = {2 + 4 * zloss, 0, 0, 1, zloss};
    for (int k = 0; k < 5; k++) ck_assert_msg(near(l->scalar[k], want[k], 2), "C.8: scalar %d is %a", k, l->scalar[k]);
    l->dy[0] = 1;
    l->cot.zloss = 1;
    OK(back(l));
    const double g[] = {800 + 2 * ln2, ln2, ln2, ln2, ln2, 800, 0, 800, 0, 1, 0, 1, 0};
    for (size_t k = 0; k < l->n; k++)
        ck_assert_msg(near(l->g[k], g[k], 2), "C.8: g[%zu] is %a, not %a", k, l->g[k], g[k]);
    layer_free(l);
}
END_TEST

/* --- gradients: everything once more, in extended precision, from the formulas --- */

static long double softplus(long double z) { return z > 40 ? z + expl(-z) : log1pl(expl(z)); }

enum { SOFTPLUS, NORM, RELU, SIGMOID, SILU, KINDS };
static const char *const kind_name[KINDS] = {"C.1 softplus", "C.1a norm", "C.1b relu", "C.1c sigmoid", "C.1d silu"};

static long double response(int kind, size_t d, const long double *o)
{
    long double sum = 0;
    for (size_t e = 0; e < d; e++) {
        const long double z = o[e], sigmoid = 1 / (1 + expl(-z));
        sum += kind == SOFTPLUS  ? softplus(z)
               : kind == NORM    ? z * z
               : kind == RELU    ? (z > 0 ? z : 0)
               : kind == SIGMOID ? sigmoid
                                 : z * sigmoid;
    }
    return kind == NORM ? sqrtl(sum) : sum / (long double)d;
}

static void softmax(size_t n, const long double *z, long double *p)
{
    long double sum = 0;
    for (size_t i = 0; i < n; i++) sum += expl(z[i]);
    for (size_t i = 0; i < n; i++) p[i] = expl(z[i]) / sum;
}

/* One token: weights and output from all outputs. */
static void route_exactly(int version, size_t N, size_t K, size_t d, const long double *o, const size_t *index,
                          long double *s, long double *weight, long double *y)
{
    long double won[8], sum = 0;
    for (size_t i = 0; i < N; i++) s[i] = response(version == 2 ? SOFTPLUS : NORM, d, o + i * d);
    for (size_t j = 0; j < K; j++) sum += won[j] = s[index[j]];
    if (version == 1) softmax(K, won, weight);
    for (size_t j = 0; j < K && version == 2; j++) weight[j] = won[j] / sum;
    for (size_t e = 0; e < d; e++) {
        y[e] = 0;
        for (size_t j = 0; j < K; j++) y[e] += weight[j] * o[index[j] * d + e];
    }
}

/* Of one token. */
static long double distill_exactly(size_t N, size_t K, long double theta, const long double *p, const long double *q,
                                   const size_t *index)
{
    long double all = 0, won = 0;
    for (size_t i = 0; i < N; i++) all += (p[i] - q[i]) * (p[i] - q[i]);
    for (size_t j = 0; j < K; j++) won += (p[index[j]] - q[index[j]]) * (p[index[j]] - q[index[j]]);
    return all / (long double)N + theta * won / (long double)K;
}

/* Of one token: the mean cosine of the K (K-1)/2 pairs, each counted once. */
static long double diversity_exactly(bool square, size_t K, size_t d, const long double *o, const size_t *row)
{
    long double sum = 0;
    for (size_t i = 0; i < K; i++)
        for (size_t j = 0; j < i; j++) {
            long double dot = 0, ii = 0, jj = 0;
            const long double *a = o + row[i] * d, *b = o + row[j] * d;
            for (size_t e = 0; e < d; e++) dot += a[e] * b[e], ii += a[e] * a[e], jj += b[e] * b[e];
            sum += dot / sqrtl(ii * jj);
        }
    return K == 1 ? 0 : 2 * sum / (long double)(square ? K * K : K * (K - 1));
}

/* C.1 */
typedef struct {
    int kind;
    size_t N, d;
    const double *ds;
} answers;

static long double exact_response(const void *test, const long double *o)
{
    const answers *a = test;
    long double phi = 0;
    for (size_t i = 0; i < a->N; i++) {
        const long double s = response(a->kind, a->d, o + i * a->d);
        phi += a->ds[i] * s * s / 2; /* the square, because ReLU alone has no curvature to see */
    }
    return phi;
}

static smoe_status respond(const answers *a, const double *o, double *s)
{
    static smoe_status (*const f[KINDS])(size_t, size_t, const double *, double *) = {
        smoe_response_softplus, smoe_response_norm, smoe_response_relu, smoe_response_sigmoid, smoe_response_silu};
    return f[a->kind](a->N, a->d, o, s);
}

static smoe_status respond_vjp(const answers *a, const double *o, const double *s, double *g)
{
    static smoe_status (*const f[KINDS])(size_t, size_t, const double *, const double *, double *) = {
        smoe_response_softplus_vjp, NULL, smoe_response_relu_vjp, smoe_response_sigmoid_vjp, smoe_response_silu_vjp};
    return a->kind == NORM ? smoe_response_norm_vjp(a->N, a->d, o, s, a->ds, g) : f[a->kind](a->N, a->d, o, a->ds, g);
}

static double library_response(const void *test, const double *o)
{
    const answers *a = test;
    double s[8], phi = 0;
    OK(respond(a, o, s));
    for (size_t i = 0; i < a->N; i++) phi += a->ds[i] * s[i] * s[i] / 2;
    return phi;
}

/* Both checks accept the gradient g, and both refuse it with its largest entry off by 1/1000 (the negative control). */
static void check_gradient(const char *what, size_t n, const double *x, double *g, slopes_exact exact, slopes_library f,
                           const void *test, uint64_t seed)
{
    seed += 500; /* not the direction of x, along which some of these functions are linear */
    const double order = slopes_order(n, x, g, exact, test, seed), off = slopes_adjoint(n, x, g, f, test, 0, n, seed);
    ck_assert_msg(order > 1.8, "%s: Taylor remainder falls with order %.3f, not 2 (seed %d)", what, order, (int)seed);
    ck_assert_msg(off <= 1e-8, "%s: the two sides of the adjoint identity differ by %.1e", what, off);
    size_t largest = 0;
    for (size_t k = 0; k < n; k++)
        if (fabs(g[k]) > fabs(g[largest])) largest = k;
    const double right = g[largest];
    g[largest] *= 1.001;
    ck_assert_msg(slopes_order(n, x, g, exact, test, seed) < 1.6, "%s: Taylor accepts a wrong gradient", what);
    ck_assert_msg(slopes_adjoint(n, x, g, f, test, 0, n, seed) > 1e-6, "%s: the adjoint check accepts it", what);
    g[largest] = right;
}

/* evidence gradient: C.1 */
START_TEST(gradient_of_responses)
{
    enum { N = 3, d = 4 };
    for (uint64_t seed = 1; seed <= 5; seed++) {
        uint64_t state = seed;
        double *o = drawn(&state, 3, N * d), *ds = drawn(&state, 1, N), s[N], g[N * d];
        for (size_t k = 0; k < N * d; k++)
            if (fabs(o[k]) < 0.05) o[k] = 0.5; /* off ReLU's kink */
        double cotangent[N];
        const answers a = {_i, N, d, ds}, b = {_i, N, d, cotangent};
        OK(respond(&a, o, s));
        for (size_t i = 0; i < N; i++) cotangent[i] = ds[i] * s[i];
        OK(respond_vjp(&b, o, s, g));
        check_gradient(kind_name[_i], N * d, o, g, exact_response, library_response, &a, seed);
        free(o), free(ds);
    }
}
END_TEST

/* C.2 C.3 */
typedef struct {
    int version;
    size_t T, N, K, d;
    const size_t *index;
    const double *dy, *dweight, *ds;
} race;

static long double exact_route(const void *test, const long double *o)
{
    const race *a = test;
    long double phi = 0, s[8], weight[8], y[8];
    for (size_t t = 0; t < a->T; t++) {
        route_exactly(a->version, a->N, a->K, a->d, o + t * a->N * a->d, a->index + t * a->K, s, weight, y);
        for (size_t i = 0; i < a->N; i++) phi += a->ds[t * a->N + i] * s[i];
        for (size_t j = 0; j < a->K; j++) phi += a->dweight[t * a->K + j] * weight[j];
        for (size_t e = 0; e < a->d; e++) phi += a->dy[t * a->d + e] * y[e];
    }
    return phi;
}

static double library_route(const void *test, const double *o)
{
    const race *a = test;
    double s[32], weight[32], margin[8], y[32], value[8], phi = 0;
    size_t index[32];
    OK((a->version == 2 ? smoe_route : smoe_route_v1)(a->T, a->N, a->K, a->d, o, s, index, weight, margin, y, value));
    ck_assert_msg(memcmp(index, a->index, a->T * a->K * sizeof *index) == 0, "the step of a check changed the winners");
    for (size_t k = 0; k < a->T * a->N; k++) phi += a->ds[k] * s[k];
    for (size_t k = 0; k < a->T * a->K; k++) phi += a->dweight[k] * weight[k];
    for (size_t k = 0; k < a->T * a->d; k++) phi += a->dy[k] * y[k];
    return phi;
}

/* evidence gradient: C.1 C.2 C.3 */
START_TEST(gradient_of_the_route)
{
    enum { T = 3, N = 4, K = 3, d = 4 };
    for (uint64_t seed = 1; seed <= 5; seed++) {
        uint64_t state = seed;
        double *o = drawn(&state, 2, T * N * d), *dy = drawn(&state, 1, T * d), *dw = drawn(&state, 1, T * K);
        double *ds = drawn(&state, 1, T * N), s[T * N], weight[T * K], margin[T], y[T * d], value[K], g[T * N * d];
        double work[N * d + N + 3 * K];
        size_t index[T * K];
        const race a = {_i, T, N, K, d, index, dy, dw, ds};
        OK((_i == 2 ? smoe_route : smoe_route_v1)(T, N, K, d, o, s, index, weight, margin, y, value));
        OK((_i == 2 ? smoe_route_vjp : smoe_route_v1_vjp)(T, N, K, d, o, s, index, weight, dy, dw, ds, g, work));
        check_gradient(_i == 2 ? "C.3 version 2" : "C.3 version 1", T * N * d, o, g, exact_route, library_route, &a,
                       seed);
        free(o), free(dy), free(dw), free(ds);
    }
}
END_TEST

/* C.4 C.5: theta = r | s, or r alone with s frozen */
typedef struct {
    size_t T, N, K;
    const size_t *index;
    const double *s; /* NULL: the target is attached */
} lesson;

static long double exact_distill(const void *test, const long double *rs)
{
    const lesson *a = test;
    long double phi = 0, p[8], q[8], s[8];
    for (size_t t = 0; t < a->T; t++) {
        for (size_t i = 0; i < a->N; i++) s[i] = a->s ? a->s[t * a->N + i] : rs[(a->T + t) * a->N + i];
        softmax(a->N, rs + t * a->N, p);
        softmax(a->N, s, q);
        phi += distill_exactly(a->N, a->K, 0.75L, p, q, a->index + t * a->K) / (long double)a->T;
    }
    return phi;
}

static double library_distill(const void *test, const double *rs)
{
    const lesson *a = test;
    double p[32], q[32], loss;
    OK(smoe_distill(a->T, a->N, a->K, 0.75, rs, a->s ? a->s : rs + a->T * a->N, a->index, p, q, &loss));
    return loss;
}

/* evidence gradient: C.4 C.5 */
START_TEST(gradient_of_distillation)
{
    enum { T = 3, N = 5, K = 2 };
    for (uint64_t seed = 1; seed <= 5; seed++) {
        uint64_t state = seed;
        double *rs = drawn(&state, 2, 2 * T * N), p[T * N], q[T * N], loss, g[2 * T * N], work[N], dp[T * N];
        size_t index[T * K] = {1, 0, 4, 2, 3, 1};
        OK(smoe_distill(T, N, K, 0.75, rs, rs + T * N, index, p, q, &loss));
        OK(smoe_distill_vjp(T, N, K, 0.75, p, q, index, 1, g, work));
        OK(smoe_distill_target_vjp(T, N, K, 0.75, p, q, index, 1, g + T * N, work));
        const lesson attached = {T, N, K, index, NULL}, detached = {T, N, K, index, rs + T * N};
        check_gradient("C.5, target attached", 2 * T * N, rs, g, exact_distill, library_distill, &attached, seed);
        check_gradient("C.5, target detached", T * N, rs, g, exact_distill, library_distill, &detached, seed);
        OK(smoe_distill_loss_vjp(T, N, K, 0.75, p, q, index, 1, dp));
        for (size_t t = 0; t < T; t++) {
            double row[N];
            OK(smoe_softmax_vjp(N, p + t * N, dp + t * N, row));
            SAME(row, g + t * N, N, "C.5: dr by way of dp");
        }
        free(rs);
    }
}
END_TEST

/* C.6 */
typedef struct {
    bool square;
    size_t T, K, d;
} crowd;

static long double exact_diversity(const void *test, const long double *o)
{
    const crowd *a = test;
    const size_t row[] = {0, 1, 2, 3};
    long double phi = 0;
    for (size_t t = 0; t < a->T; t++)
        phi += diversity_exactly(a->square, a->K, a->d, o + t * a->K * a->d, row) / (long double)a->T;
    return phi;
}

static double library_diversity(const void *test, const double *o)
{
    const crowd *a = test;
    double unit[64], norm[16], loss;
    OK((a->square ? smoe_diversity_square : smoe_diversity_pairs)(a->T, a->K, a->d, o, unit, norm, &loss));
    return loss;
}

/* evidence gradient: C.6 */
START_TEST(gradient_of_diversity)
{
    enum { T = 3, K = 4, d = 5 };
    const crowd a = {_i, T, K, d};
    for (uint64_t seed = 1; seed <= 5; seed++) {
        uint64_t state = seed;
        double *o = drawn(&state, 2, T * K * d), unit[T * K * d], norm[T * K], loss, g[T * K * d];
        OK((_i ? smoe_diversity_square : smoe_diversity_pairs)(T, K, d, o, unit, norm, &loss));
        OK((_i ? smoe_diversity_square_vjp : smoe_diversity_pairs_vjp)(T, K, d, unit, norm, 1, g));
        check_gradient(_i ? "C.6 square" : "C.6 pairs", T * K * d, o, g, exact_diversity, library_diversity, &a, seed);
        free(o);
    }
}
END_TEST

/* C.8: the layer from the formulas, expert by expert, decisions and counts as the library took them. */
static void layer_outputs(const layer *l, const long double *q, size_t t, long double *o, long double *r)
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
            const long double u = l->shape.phi == SMOE_RELU ? (a > 0 ? a : 0) : a / 2 * erfcl(-a / sqrtl(2));
            for (size_t e = 0; e < d; e++) o[i * d + e] += q[at[W2] + (i * d + e) * h + k] * u;
        }
    }
}

static long double exact_layer(const void *test, const long double *theta)
{
    const layer *l = test;
    const size_t T = l->shape.T, d = l->shape.d, N = l->shape.N, K = l->shape.K;
    const double *f = l->router ? l->rkept.f : l->kept.f;
    const long double g_distill = l->cot.distill + (long double)l->opt.c_distill * l->cot.loss;
    const long double g_diversity = l->cot.diversity + (long double)l->opt.c_diversity * l->cot.loss;
    const long double g_balance = l->cot.balance + (long double)l->opt.c_balance * l->cot.loss;
    const long double g_zloss = l->cot.zloss + (long double)l->opt.c_zloss * l->cot.loss;
    long double phi = 0, o[64], r[8], s[8], p[8], q[8], weight[8], won[8], y[8];
    for (size_t t = 0; t < T; t++) {
        const size_t *I = l->out.index + t * K;
        layer_outputs(l, theta, t, o, r);
        route_exactly(2, N, K, d, o, I, s, weight, y);
        softmax(N, r, p);
        softmax(N, s, q);
        long double terms = 0, Z = 0;
        for (size_t i = 0; i < N; i++) terms += g_balance * (long double)N * f[i] * (l->router ? p[i] : q[i]);
        if (l->router) {
            for (size_t i = 0; i < N; i++) Z += expl(r[i]);
            terms += g_zloss * logl(Z) * logl(Z);
            for (size_t j = 0; j < K; j++) won[j] = r[I[j]];
            softmax(K, won, weight);
            for (size_t e = 0; e < d; e++) {
                y[e] = 0;
                for (size_t j = 0; j < K; j++) y[e] += weight[j] * o[I[j] * d + e];
            }
        } else {
            const bool held = l->opt.target == SMOE_TARGET_DETACHED;
            terms += g_distill * distill_exactly(N, K, l->opt.theta, p, held ? l->frozen + t * N : q, I);
            terms += g_diversity * diversity_exactly(l->opt.diversity == SMOE_DIVERSITY_SQUARE, K, d, o, I);
        }
        phi += terms / (long double)T;
        for (size_t j = 0; j < K; j++) phi += l->dweight[t * K + j] * weight[j];
        for (size_t e = 0; e < d; e++) phi += l->dy[t * d + e] * y[e];
    }
    return phi;
}

static double library_layer(const void *test, const double *theta)
{
    layer *l = (layer *)(uintptr_t)test;
    const size_t T = l->shape.T, d = l->shape.d, K = l->shape.K;
    size_t before[64];
    memcpy(before, l->out.index, T * K * sizeof *before);
    OK(run(l, theta));
    ck_assert_msg(memcmp(before, l->out.index, T * K * sizeof *before) == 0, "the step of a check changed the winners");
    double phi = l->cot.loss * l->scalar[0] + l->cot.distill * l->scalar[1] + l->cot.diversity * l->scalar[2] +
                 l->cot.balance * l->scalar[3] + l->cot.zloss * l->scalar[4];
    for (size_t k = 0; k < T * K; k++) phi += l->dweight[k] * l->out.weight[k];
    for (size_t k = 0; k < T * d; k++) phi += l->dy[k] * l->out.y[k];
    return phi;
}

/* The variants of the layer whose gradients are checked. */
static layer *variant(int i, uint64_t seed)
{
    enum { T = 2, d = 5, h = 6, N = 4, K = 3 }; /* no two alike */
    layer *l = layer_new(T, d, h, N, K);
    l->shape.phi = i == 1 || i == 5 ? SMOE_RELU : SMOE_GELU;
    l->router = i >= 4;
    if (i == 2) l->opt.target = SMOE_TARGET_ATTACHED;
    if (i == 3) l->opt.diversity = SMOE_DIVERSITY_SQUARE, l->opt.count = SMOE_COUNT_FIRST;
    bool apart;
    do { /* no decision and no kink within reach of a check's step */
        draw_layer(l, seed);
        seed += 1000;
        apart = true;
        for (size_t t = 0; t < T; t++) apart = apart && l->out.margin[t] > 0.01;
        for (size_t k = 0; k < N * T * h && l->shape.phi == SMOE_RELU; k++) apart = apart && fabs(l->kept.a[k]) > 0.02;
        if (l->router) apart = apart || l->shape.phi == SMOE_RELU;
        for (size_t k = 0; k < T * K * h && l->router; k++) apart = apart && fabs(l->rkept.layer.a[k]) > 0.02;
    } while (!apart);
    for (size_t k = 0; k < T * N; k++) l->frozen[k] = 0;
    for (size_t t = 0; t < T && !l->router; t++) {
        long double s[N], o[N * d], r[N], weight[K], y[d], q[400];
        for (size_t k = 0; k < l->n; k++) q[k] = l->theta[k];
        layer_outputs(l, q, t, o, r);
        route_exactly(2, N, K, d, o, l->out.index + t * K, s, weight, y);
        softmax(N, s, l->frozen + t * N);
    }
    return l;
}

static const char *const variant_name[] = {"C.8 detached",      "C.8 detached, ReLU", "C.8 attached",
                                           "C.8 square, first", "C.8 router",         "C.8 router, ReLU"};

/* With a detached target the library's own forward moves the target too, so only wr and br are left to its
 * differences. */
/* evidence gradient: C.7 C.8 */
START_TEST(gradient_of_the_layer)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        layer *l = variant(_i, seed);
        const double order = slopes_order(l->n, l->theta, l->g, exact_layer, l, seed);
        ck_assert_msg(order > 1.8, "%s: Taylor remainder falls with order %.3f, not 2", variant_name[_i], order);
        const bool detached = !l->router && l->opt.target == SMOE_TARGET_DETACHED;
        for (int b = 0; b < BLOCKS; b++) {
            const size_t first = l->at[b], count = l->at[b + 1] - first;
            if (!detached || b == WR || b == BR) {
                const double off = slopes_adjoint(l->n, l->theta, l->g, library_layer, l, first, count, seed);
                ck_assert_msg(off <= 1e-8, "%s: <d_%s, v> is off by %.1e", variant_name[_i], block_name[b], off);
            }
            size_t largest = first; /* the negative control, in every block */
            for (size_t k = first; k < first + count; k++)
                if (fabs(l->g[k]) > fabs(l->g[largest])) largest = k;
            const double right = l->g[largest];
            l->g[largest] *= 1.01;
            ck_assert_msg(slopes_order(l->n, l->theta, l->g, exact_layer, l, seed) < 1.7,
                          "%s: Taylor accepts a wrong d_%s", variant_name[_i], block_name[b]);
            l->g[largest] = right;
        }
        layer_free(l);
    }
}
END_TEST

/* --- properties --- */

/* softplus: positive, above its argument, s(o) - s(-o) = mean(o); norm: |2o| = 2|o| exactly; no overflow on the way. */
/* evidence properties: C.1 */
START_TEST(response_properties)
{
    enum { N = 6, d = 5 };
    uint64_t seed = 3;
    double *o = drawn(&seed, 4, N * d), minus[N * d], twice[N * d], s[N], m[N], big[N];
    for (size_t k = 0; k < N * d; k++) minus[k] = -o[k], twice[k] = 2 * o[k];
    OK(smoe_response_softplus(N, d, o, s));
    OK(smoe_response_softplus(N, d, minus, m));
    for (size_t i = 0; i < N; i++) {
        const double mean = smoe_sum(d, o + i * d) / d;
        ck_assert_msg(s[i] > 0 && s[i] > mean, "C.1: s[%zu] = %g, mean %g", i, s[i], mean);
        ck_assert_msg(fabs(s[i] - m[i] - mean) <= 16 * 0x1p-52, "C.1: s(o) - s(-o) is not the mean");
    }
    OK(smoe_response_norm(N, d, o, s));
    OK(smoe_response_norm(N, d, twice, big));
    for (size_t i = 0; i < N; i++) ck_assert_msg(big[i] == 2 * s[i], "C.1a: |2o| is %a, |o| is %a", big[i], s[i]);
    const double extreme[] = {0x1p1000, 0, 0x1p-1060, 0, -0.0, 0};
    OK(smoe_response_norm(3, 2, extreme, s));
    SAME(s, ((double[]){0x1p1000, 0x1p-1060, 0}), 3, "C.1a s at the ends of the range");
    OK(smoe_response_softplus(3, 2, extreme, s));
    ck_assert_msg(s[1] == s[2], "C.1: a subnormal is not a signed zero's equal");
    free(o);
}
END_TEST

/* Weights sum to 1 and keep the order; version 2 does not see a common factor (a power of two: exactly), version 1 a
 * common summand (whole numbers: exactly); one winner has weight 1 and no gradient. */
/* evidence properties: C.2 */
START_TEST(weights_properties)
{
    const double value[] = {9, 7, 4, 1}, scaled[] = {2.25, 1.75, 1, 0.25}, shifted[] = {109, 107, 104, 101};
    const double dweight[] = {0.3, -1, 2, 5}, zero[] = {0, 0}, some[] = {3, 0};
    double a[4], b[4], d_a[4], d_b[4];
    OK(smoe_compete_weights(4, value, a));
    OK(smoe_compete_weights(4, scaled, b));
    SAME(a, b, 4, "C.2: weights of responses divided by 4");
    OK(smoe_compete_weights_vjp(4, value, a, dweight, d_a));
    OK(smoe_compete_weights_vjp(4, scaled, b, dweight, d_b));
    for (int j = 0; j < 4; j++) ck_assert_msg(d_b[j] == 4 * d_a[j], "C.2: gradient of scaled responses");
    ck_assert_msg(near(smoe_sum(4, a), 1, 4) && a[0] > a[1] && a[1] > a[2] && a[2] > a[3], "C.2: weights");
    ck_assert_msg(fabs(smoe_dot(4, value, d_a)) <= 0x1p-50, "C.2: <value, dvalue> is 0 for a function of ratios");
    OK(smoe_compete_weights_v1(4, value, a));
    OK(smoe_compete_weights_v1(4, shifted, b));
    SAME(a, b, 4, "C.2 version 1: weights of shifted responses");
    OK(smoe_compete_weights(1, value, a));
    OK(smoe_compete_weights_vjp(1, value, a, dweight, d_a));
    ck_assert_msg(a[0] == 1 && d_a[0] == 0, "C.2: one winner has weight %a and gradient %a", a[0], d_a[0]);
    OK(smoe_compete_weights(2, some, a));
    SAME(a, ((double[]){1, 0}), 2, "C.2 with a silent winner");
    IS(SMOE_EDOM, smoe_compete_weights(2, zero, a));
    IS(SMOE_EDOM, smoe_compete_weights(1, (double[]){-0.0}, a));
}
END_TEST

/* Experts renamed or tokens reordered: the same bits elsewhere.  The reverse of every expert's name makes no tie
 * here. */
/* evidence properties: C.1 C.2 C.3 */
START_TEST(route_symmetries)
{
    enum { T = 6, N = 5, K = 3, d = 4 };
    uint64_t seed = 5;
    double *o = drawn(&seed, 2, T * N * d), *dy = drawn(&seed, 1, T * d), *dw = drawn(&seed, 1, T * K),
           *ds = room(T * N);
    double p[T * N * d], s[T * N], weight[T * K], margin[T], y[T * d], s2[T * N], w2[T * K], m2[T], y2[T * d], value[K];
    double g[T * N * d], g2[T * N * d], work[N * d + N + 3 * K], r[T * d], rw[T * K];
    size_t index[T * K], i2[T * K];
    OK(smoe_route(T, N, K, d, o, s, index, weight, margin, y, value));
    OK(smoe_route_vjp(T, N, K, d, o, s, index, weight, dy, dw, ds, g, work));
    for (size_t a = 0; a < T * N; a++) memcpy(p + a * d, o + (a / N * N + N - 1 - a % N) * d, d * sizeof *o);
    OK(smoe_route(T, N, K, d, p, s2, i2, w2, m2, y2, value));
    OK(smoe_route_vjp(T, N, K, d, p, s2, i2, w2, dy, dw, ds, g2, work));
    SAME(y2, y, T * d, "C.3, experts renamed: y");
    SAME(w2, weight, T * K, "C.2, experts renamed: weight");
    SAME(m2, margin, T, "C.2, experts renamed: margin");
    for (size_t a = 0; a < T * K; a++) ck_assert_msg(i2[a] == N - 1 - index[a], "C.2: winners do not follow the names");
    for (size_t a = 0; a < T * N; a++)
        SAME(g2 + a * d, g + (a / N * N + N - 1 - a % N) * d, d, "C.3, experts renamed: do");
    for (size_t t = 0; t < T; t++) {
        memcpy(p + t * N * d, o + (T - 1 - t) * N * d, N * d * sizeof *o);
        memcpy(r + t * d, dy + (T - 1 - t) * d, d * sizeof *r);
        memcpy(rw + t * K, dw + (T - 1 - t) * K, K * sizeof *rw);
    }
    OK(smoe_route(T, N, K, d, p, s2, i2, w2, m2, y2, value));
    OK(smoe_route_vjp(T, N, K, d, p, s2, i2, w2, r, rw, ds, g2, work));
    for (size_t t = 0; t < T; t++) {
        SAME(y2 + t * d, y + (T - 1 - t) * d, d, "C.3, tokens reordered: y");
        SAME(g2 + t * N * d, g + (T - 1 - t) * N * d, N * d, "C.3, tokens reordered: do");
    }
    free(o), free(dy), free(dw), free(ds);
}
END_TEST

/* K = N: margin +inf.  K = 1: y is the winner's output, nothing flows through s.  Copies: 0 and 1 win with 1/2 and y
 * is the common output.  T = 0: nothing to do. */
/* evidence properties: C.2 C.3 */
START_TEST(route_corners)
{
    enum { N = 3, d = 2 };
    const double o[] = {1, 2, -1, 5, 0, -3}, dy[] = {1, -2}, none[N] = {0}, copies[] = {0.3, -7, 0.3, -7, 0.3, -7};
    double s[N], weight[N], margin, y[d], value[N], g[N * d], work[N * d + N + 3 * N];
    size_t index[N];
    OK(smoe_route(1, N, N, d, o, s, index, weight, &margin, y, value));
    ck_assert_msg(margin == INFINITY, "C.2: K = N has margin %a", margin);
    OK(smoe_route(1, N, 1, d, o, s, index, weight, &margin, y, value));
    ck_assert_msg(index[0] == 1 && weight[0] == 1 && y[0] == -1 && y[1] == 5, "C.3 with K = 1");
    OK(smoe_route_vjp(1, N, 1, d, o, s, index, weight, dy, none, none, g, work));
    SAME(g, ((double[]){0, 0, 1, -2, 0, 0}), 6, "C.3 with K = 1: do");
    OK(smoe_route(1, 1, 1, d, o, s, index, weight, &margin, y, value));
    SAME(y, o, d, "C.3 with N = 1: y");
    OK(smoe_route(1, N, 2, d, copies, s, index, weight, &margin, y, value));
    ck_assert_msg(index[0] == 0 && index[1] == 1 && margin == 0 && weight[0] == 0.5, "C.2: a tie");
    SAME(y, copies, d, "C.3 with copies: y");
    OK(smoe_route_v1(1, N, 2, d, copies, s, index, weight, &margin, y, value));
    ck_assert_msg(index[0] == 0 && index[1] == 1 && margin == 0 && weight[0] == 0.5, "C.2: a tie, version 1");
    y[0] = poison;
    OK(smoe_route(0, N, 2, d, o, s, index, weight, &margin, y, value));
    OK(smoe_route_v1(0, N, 2, d, o, s, index, weight, &margin, y, value));
    ck_assert_msg(y[0] == poison, "C.3 wrote an output for T = 0");
}
END_TEST

/* A perfect router has loss and gradient 0; the same scores in another order (PermutedScores) have not: the control.
 * A constant added to a token's logits or responses changes nothing.  dr and ds of a token sum to 0.  K = N: the
 * second term is theta times the first.  The loss is affine in theta. */
/* evidence properties: C.4 C.5 */
START_TEST(distill_properties)
{
    enum { T = 4, N = 6, K = 2 };
    uint64_t seed = 11;
    double *s = drawn(&seed, 2, T * N), *r = drawn(&seed, 2, T * N), p[T * N], q[T * N], loss, other, third, g[T * N];
    double h[T * N], work[N], moved[T * N];
    size_t index[T * K], every[T * N];
    for (size_t k = 0; k < T * N; k++) s[k] = floor(8 * s[k]) / 8, r[k] = floor(8 * r[k]) / 8, every[k] = k % N;
    for (size_t t = 0; t < T; t++) {
        double value[K], margin;
        OK(smoe_topk(N, K, s + t * N, index + t * K, value, &margin));
    }
    OK(smoe_distill(T, N, K, 1, s, s, index, p, q, &loss));
    OK(smoe_distill_vjp(T, N, K, 1, p, q, index, 1, g, work));
    OK(smoe_distill_target_vjp(T, N, K, 1, p, q, index, 1, h, work));
    ck_assert_msg(loss == 0, "C.5: a perfect router has loss %a", loss);
    for (size_t k = 0; k < T * N; k++) ck_assert_msg(g[k] == 0 && h[k] == 0, "C.5: a perfect router has a gradient");
    for (size_t k = 0; k < T * N; k++) moved[k] = s[k / N * N + N - 1 - k % N];
    OK(smoe_distill(T, N, K, 1, moved, s, index, p, q, &other));
    ck_assert_msg(other > 0.01, "C.5: scores in the wrong order pass for right: %.2e", other);

    OK(smoe_distill(T, N, K, 0.5, r, s, index, p, q, &loss));
    OK(smoe_distill_vjp(T, N, K, 0.5, p, q, index, 1, g, work));
    OK(smoe_distill_target_vjp(T, N, K, 0.5, p, q, index, 1, h, work));
    for (size_t t = 0; t < T; t++)
        ck_assert_msg(fabs(smoe_sum(N, g + t * N)) <= 0x1p-52 && fabs(smoe_sum(N, h + t * N)) <= 0x1p-52,
                      "C.5: the gradients of token %zu do not sum to 0", t);
    for (size_t k = 0; k < T * N; k++) moved[k] = r[k] + (double)(k / N) - 5;
    OK(smoe_distill(T, N, K, 0.5, moved, s, index, p, q, &other));
    ck_assert_msg(other == loss, "C.5: shifted logits: %a, before %a", other, loss);
    for (size_t k = 0; k < T * N; k++) moved[k] = s[k] + (double)(k / N) - 5;
    OK(smoe_distill(T, N, K, 0.5, r, moved, index, p, q, &other));
    ck_assert_msg(other == loss, "C.4: shifted responses: %a, before %a", other, loss);
    OK(smoe_distill(T, N, K, 0, r, s, index, p, q, &other));
    OK(smoe_distill(T, N, K, 1, r, s, index, p, q, &third));
    ck_assert_msg(near(loss, (other + third) / 2, 4) && loss > other, "C.5 is not affine in theta");
    OK(smoe_distill(T, N, N, 0.5, r, s, every, p, q, &third));
    ck_assert_msg(near(third, 1.5 * other, 4), "C.5 with K = N: %.17g, not 3/2 of %.17g", third, other);
    OK(smoe_distill(T, 1, 1, 1, r, s, (size_t[T]){0}, p, q, &loss)); /* N = 1 */
    ck_assert_msg(loss == 0, "C.5 with one expert is %a", loss);
    for (size_t k = 0; k < T * N; k++) moved[k] = -1.25;
    OK(smoe_distill(T, N, K, 1, moved, moved, index, p, q, &loss));
    ck_assert_msg(loss == 0 && near(q[0], 1.0 / N, 1), "C.4: equal responses give a target of %a", q[0]);
    free(s), free(r);
}
END_TEST

/* In [-1/(K-1), 1]; blind to the size of a row (a power of two: exactly), with a gradient that is its inverse;
 * orthogonal to the row; permutes with the rows; the square is (K-1)/K of the pairs; K = 1 is 0. */
/* evidence properties: C.6 */
START_TEST(diversity_properties)
{
    enum { T = 3, d = 4 };
    uint64_t seed = 13;
    for (size_t K = 1; K <= 5; K++)
        for (int round = 0; round < 20; round++) {
            double *o = drawn(&seed, 1, T * K * d), *m = room(T * K * d), *unit = room(T * K * d), *norm = room(T * K);
            double *g = room(T * K * d), *h = room(T * K * d), loss, square, other;
            if (round % 2)
                for (size_t k = d; k < T * K * d; k++)
                    o[k] = (k / d % 2 ? -1 : 1) * o[k % d] + o[k] / 64; /* near the ends */
            OK(smoe_diversity_square(T, K, d, o, unit, norm, &square));
            OK(smoe_diversity_pairs(T, K, d, o, unit, norm, &loss));
            OK(smoe_diversity_pairs_vjp(T, K, d, unit, norm, 1, g));
            const double least = K > 1 ? -1 / ((double)K - 1) : 0, most = K > 1 ? 1 : 0;
            ck_assert_msg(loss >= least - 0x1p-50 && loss <= most + 0x1p-50, "C.6: %.17g is outside [%g, %g]", loss,
                          least, most);
            ck_assert_msg(fabs(square - loss * ((double)K - 1) / (double)K) <= 0x1p-50, "C.6: square %g, pairs %g",
                          square, loss);
            for (size_t a = 0; a < T * K; a++)
                ck_assert_msg(fabs(smoe_dot(d, o + a * d, g + a * d)) <= 0x1p-48,
                              "C.6: the gradient has a radial part");
            for (size_t k = 0; k < T * K * d; k++) m[k] = ldexp(o[k], (int)(k / d) % 7 - 3);
            OK(smoe_diversity_pairs(T, K, d, m, unit, norm, &other));
            OK(smoe_diversity_pairs_vjp(T, K, d, unit, norm, 1, h));
            ck_assert_msg(other == loss, "C.6: rows rescaled: %a, before %a", other, loss);
            for (size_t k = 0; k < T * K * d; k++)
                ck_assert_msg(ldexp(h[k], (int)(k / d) % 7 - 3) == g[k], "C.6: gradient of rescaled rows");
            for (size_t k = 0; k < T * K * d; k++) m[k] = o[(k / (K * d) * K + K - 1 - k / d % K) * d + k % d];
            OK(smoe_diversity_pairs(T, K, d, m, unit, norm, &other));
            ck_assert_msg(fabs(other - loss) <= 0x1p-50, "C.6: rows reordered: %g, before %g", other, loss);
            for (size_t k = 0; k < T * K * d && K == 1; k++) ck_assert_msg(g[k] == 0, "C.6: K = 1 has a gradient");
            free(o), free(m), free(unit), free(norm), free(g), free(h);
        }
}
END_TEST

static layer *drawn_layer(size_t T, size_t N, size_t K, uint64_t seed)
{
    layer *l = layer_new(T, 4, 5, N, K);
    draw_layer(l, seed);
    return l;
}

static void only(layer *l, double task, double loss, double distill, double diversity, double balance)
{
    for (size_t k = 0; k < l->shape.T * l->shape.d; k++) l->dy[k] *= task;
    for (size_t k = 0; k < l->shape.T * l->shape.K; k++) l->dweight[k] *= task;
    l->cot = (smoe_compete_cot){l->dy, l->dweight, loss, distill, diversity, balance, 0};
    OK(back(l));
}

/* Who learns from what in a competition: the task does not reach the router; a detached distillation reaches nobody
 * but the router (and x); attached it reaches the experts; diversity reaches winners alone; the balance all experts. */
/* evidence properties: C.4 C.5 C.6 C.7 C.8 */
START_TEST(who_learns_from_what)
{
    layer *l = drawn_layer(5, 4, 2, 17);
    only(l, 1, 0, 0, 0, 0);
    ck_assert_msg(all_zero(l, WR) && all_zero(l, BR), "C.8: the task trains the router in a competition");
    ck_assert_msg(!all_zero(l, W1) && !all_zero(l, X), "C.8: the task does not train the experts");
    only(l, 0, 0, 1, 0, 0);
    ck_assert_msg(!all_zero(l, WR) && !all_zero(l, BR) && !all_zero(l, X), "C.5 does not train the router");
    for (int b = W1; b <= B2; b++) ck_assert_msg(all_zero(l, b), "C.5: a detached target trains %s", block_name[b]);
    l->opt.target = SMOE_TARGET_ATTACHED;
    only(l, 0, 0, 1, 0, 0);
    for (int b = W1; b <= B2; b++) ck_assert_msg(!all_zero(l, b), "C.5: an attached target leaves %s", block_name[b]);
    only(l, 0, 0, 0, 1, 0);
    ck_assert_msg(all_zero(l, WR) && !all_zero(l, W2), "C.6 trains the router, or not the winners");
    bool won[4] = {false};
    for (size_t a = 0; a < 10; a++) won[l->out.index[a]] = true;
    for (size_t i = 0; i < 4; i++)
        for (size_t e = 0; e < 4; e++)
            ck_assert_msg(won[i] || l->g[l->at[B2] + i * 4 + e] == 0, "C.6 trains expert %zu, which never won", i);
    only(l, 0, 0, 0, 0, 1);
    ck_assert_msg(all_zero(l, WR) && all_zero(l, BR), "C.7 trains the router");
    for (size_t i = 0; i < 4; i++)
        ck_assert_msg(l->g[l->at[B2] + i * 4] != 0, "C.7 does not reach expert %zu through P", i);
    layer_free(l);
}
END_TEST

/* The total is the terms by their coefficients, forward and gradient: dloss alone gives the bits of d_term = c_term. */
/* evidence properties: C.8 */
START_TEST(total_and_terms)
{
    layer *l = drawn_layer(5, 4, 2, 19);
    const double *v = l->scalar, want = 0.5 * v[1] + 0.25 * v[2] + 2 * v[3];
    ck_assert_msg(v[0] == want, "C.8: total %a, by its terms %a", v[0], want);
    only(l, 0, 1, 0, 0, 0);
    double *g = room(l->n);
    memcpy(g, l->g, l->n * sizeof *g);
    only(l, 0, 0, 0.5, 0.25, 2);
    SAME(l->g, g, l->n, "C.8: gradient by terms");
    l->router = true;
    l->cot.loss = 0;
    OK(run(l, l->theta));
    ck_assert_msg(v[0] == 2 * v[3] + 4 * v[4] && v[1] == 0 && v[2] == 0, "C.8: total of a step by the router");
    l->cot = (smoe_compete_cot){l->dy, l->dweight, 1, 5, 6, 0, 0};
    OK(back(l));
    memcpy(g, l->g, l->n * sizeof *g);
    l->cot = (smoe_compete_cot){l->dy, l->dweight, 0, 0, 0, 2, 4};
    OK(back(l));
    SAME(l->g, g, l->n, "C.8: gradient of a step by the router, by terms");
    free(g), layer_free(l);
}
END_TEST

static void reverse_blocks(size_t n, size_t size, const double *x, double *y)
{
    for (size_t i = 0; i < n; i++) memcpy(y + i * size, x + (n - 1 - i) * size, size * sizeof *x);
}

/* Experts renamed (the reverse): y, weights and winners follow bit for bit, losses and gradients within rounding.
 * Tokens reordered: the same. */
/* evidence properties: C.7 C.8 */
START_TEST(layer_symmetries)
{
    enum { T = 5, N = 4, K = 2, d = 4, h = 5 };
    layer *l = layer_new(T, d, h, N, K), *m = layer_new(T, d, h, N, K);
    l->router = m->router = _i;
    draw_layer(l, 23);
    draw_layer(m, 23);
    const size_t size[BLOCKS] = {T * d, d, 1, h * d, h, d * h, d};
    for (int b = WR; b < BLOCKS; b++) reverse_blocks(N, size[b], l->theta + l->at[b], m->theta + l->at[b]);
    OK(run(m, m->theta));
    OK(back(m));
    SAME(m->out.y, l->out.y, T * d, "C.8, experts renamed: y");
    SAME(m->out.weight, l->out.weight, T * K, "C.8, experts renamed: weight");
    for (size_t a = 0; a < T * K; a++) ck_assert_msg(m->out.index[a] == N - 1 - l->out.index[a], "C.8: winners");
    for (int k = 0; k < 5; k++)
        ck_assert_msg(near(m->scalar[k], l->scalar[k], 16), "C.8, experts renamed: scalar %d is %.17g, before %.17g", k,
                      m->scalar[k], l->scalar[k]);
    double *g = room(l->n);
    for (int b = WR; b < BLOCKS; b++) reverse_blocks(N, size[b], m->g + l->at[b], g + l->at[b]);
    memcpy(g, m->g, T * d * sizeof *g);
    for (size_t k = 0; k < l->n; k++)
        ck_assert_msg(fabs(g[k] - l->g[k]) <= 0x1p-46, "C.8, experts renamed: gradient %zu %g, before %g", k, g[k],
                      l->g[k]);

    memcpy(m->theta, l->theta, l->n * sizeof *l->theta);
    reverse_blocks(T, d, l->theta, m->theta);
    reverse_blocks(T, d, l->dy, m->dy);
    reverse_blocks(T, K, l->dweight, m->dweight);
    OK(run(m, m->theta));
    OK(back(m));
    for (size_t t = 0; t < T; t++) {
        SAME(m->out.y + t * d, l->out.y + (T - 1 - t) * d, d, "C.8, tokens reordered: y");
        for (size_t e = 0; e < d; e++)
            ck_assert_msg(fabs(m->g[t * d + e] - l->g[(T - 1 - t) * d + e]) <= 0x1p-46, "C.8, tokens reordered: dx");
    }
    for (size_t k = T * d; k < l->n; k++)
        ck_assert_msg(fabs(m->g[k] - l->g[k]) <= 0x1p-46, "C.8, tokens reordered: gradient %zu", k);
    free(g), layer_free(l), layer_free(m);
}
END_TEST

/* K = N, K = 1, N = 1; copies of one expert: 0 and 1 win, the diversity is 1 and pulls nowhere; s equal: balance 1. */
/* evidence properties: C.6 C.7 C.8 */
START_TEST(layer_corners)
{
    layer *l = drawn_layer(3, 4, 4, 29);
    ck_assert_msg(l->out.margin[0] == INFINITY && near(l->scalar[3], 1, 8),
                  "C.7 with K = N: f is uniform, balance %.17g", l->scalar[3]);
    layer_free(l);
    l = drawn_layer(3, 4, 1, 31);
    ck_assert_msg(l->scalar[2] == 0 && l->out.weight[0] == 1, "C.8 with K = 1: diversity %a", l->scalar[2]);
    layer_free(l);
    l = drawn_layer(3, 1, 1, 37);
    ck_assert_msg(l->scalar[1] == 0 && l->scalar[3] == 1, "C.8 with N = 1: distill %a, balance %a", l->scalar[1],
                  l->scalar[3]);
    ck_assert_msg(all_zero(l, WR) && all_zero(l, BR), "C.8 with N = 1 trains a router that has no choice");
    layer_free(l);
    l = drawn_layer(3, 4, 2, 41);
    const size_t size[BLOCKS] = {0, 0, 0, 20, 5, 20, 4};
    for (int b = W1; b <= B2; b++)
        for (size_t i = 1; i < 4; i++)
            memcpy(l->theta + l->at[b] + i * size[b], l->theta + l->at[b], size[b] * sizeof(double));
    OK(run(l, l->theta));
    for (size_t t = 0; t < 3; t++)
        ck_assert_msg(l->out.index[2 * t] == 0 && l->out.index[2 * t + 1] == 1 && l->out.margin[t] == 0,
                      "C.2: copies tie");
    ck_assert_msg(near(l->scalar[2], 1, 4) && near(l->scalar[3], 1, 4),
                  "C.6, C.7: copies have diversity %.17g, balance %.17g", l->scalar[2], l->scalar[3]);
    only(l, 0, 0, 0, 1, 0);
    for (size_t k = 0; k < l->n; k++)
        ck_assert_msg(fabs(l->g[k]) <= 0x1p-48, "C.6: copies are a stationary point, not %g", l->g[k]);
    layer_free(l);
}
END_TEST

/* The step by the router is the SMoE layer of chapter L, bit for bit, y and all gradients of the task. */
/* evidence properties: C.8 */
START_TEST(router_step_is_the_layer)
{
    layer *l = layer_new(5, 4, 5, 4, 2), *m = layer_new(5, 4, 5, 4, 2);
    l->router = true;
    l->shape.order = m->shape.order = (smoe_weight_order)_i;
    draw_layer(l, 43);
    only(l, 1, 0, 0, 0, 0);
    memcpy(m->theta, l->theta, l->n * sizeof(double));
    const size_t *at = l->at;
    const double *q = m->theta;
    double *g = m->g;
    const smoe_layer_in in = {q, q + at[WR], q + at[BR], q + at[W1], q + at[B1], q + at[W2], q + at[B2]};
    const smoe_layer_grad grad = {g, g + at[WR], g + at[BR], g + at[W1], g + at[B1], g + at[W2], g + at[B2]};
    const smoe_layer_out out = {m->out.y, m->out.r, m->out.index, m->out.weight, m->out.margin};
    OK(smoe_layer(&m->shape, &in, &out, &m->rkept.layer));
    OK(smoe_layer_vjp(&m->shape, &in, &out, &m->rkept.layer, l->dy, l->dweight, NULL, &grad, m->work));
    SAME(l->out.y, m->out.y, 20, "C.8 against L.3: y");
    SAME(l->out.weight, m->out.weight, 10, "C.8 against L.3: weight");
    SAME(l->g, m->g, l->n, "C.8 against L.3: gradient");
    layer_free(l), layer_free(m);
}
END_TEST

/* --- errors --- */

static const double bad[] = {INFINITY, -INFINITY, NAN};

START_TEST(response_errors)
{
    double o[4] = {1, 2, 3, 4}, ds[2] = {1, 1}, kept[2] = {1, 1}, spoilt[2] = {1, bad[_i]}, s[2], g[4];
    for (int kind = 0; kind < KINDS; kind++) {
        answers a = {kind, 2, 2, ds};
        poison_all(2, s), poison_all(4, g);
        a.N = 0;
        IS(SMOE_EINVAL, respond(&a, o, s));
        IS(SMOE_EINVAL, respond_vjp(&a, o, kept, g));
        a.N = 2, a.d = 0;
        IS(SMOE_EINVAL, respond(&a, o, s));
        IS(SMOE_EINVAL, respond_vjp(&a, o, kept, g));
        a.d = 2, o[3] = bad[_i];
        IS(SMOE_EDOM, respond(&a, o, s));
        IS(SMOE_EDOM, respond_vjp(&a, o, kept, g));
        o[3] = 4, a.ds = spoilt;
        IS(SMOE_EDOM, respond_vjp(&a, o, kept, g));
        ck_assert_msg(untouched(2, s) && untouched(4, g), "%s wrote in spite of an error", kind_name[kind]);
        const double huge[] = {0x1.8p1023, 0x1.8p1023, 0x1.8p1023, 0x1.8p1023};
        a.ds = ds;
        if (kind != SIGMOID) IS(SMOE_EOVRFLW, respond(&a, huge, s)); /* the sigmoid of anything is below 1 */
    }
    IS(SMOE_EDOM, smoe_response_norm_vjp(2, 2, o, spoilt, ds, g));
    IS(SMOE_EDOM, smoe_response_norm_vjp(2, 2, o, (double[]){1, -1}, ds, g));
    IS(SMOE_EOVRFLW, smoe_response_norm_vjp(1, 2, (double[]){4, 0}, (double[]){0x1p-10}, (double[]){0x1p1020}, g));
    IS(SMOE_EOVRFLW,
       smoe_response_silu_vjp(1, 1, (double[]){2}, (double[]){0x1.fffp1023}, g)); /* SiLU'(2) is above 1 */
}
END_TEST

START_TEST(weights_errors)
{
    const double value[2] = {3, 1}, spoilt[2] = {1, bad[_i]}, half[2] = {0.5, 0.5}, minus[2] = {-3, 1};
    double weight[2], dvalue[2];
    poison_all(2, weight), poison_all(2, dvalue);
    IS(SMOE_EINVAL, smoe_compete_weights(0, value, weight));
    IS(SMOE_EINVAL, smoe_compete_weights_v1(0, value, weight));
    IS(SMOE_EINVAL, smoe_compete_weights_vjp(0, value, half, half, dvalue));
    IS(SMOE_EINVAL, smoe_compete_weights_v1_vjp(0, half, half, dvalue));
    IS(SMOE_EDOM, smoe_compete_weights(2, spoilt, weight));
    IS(SMOE_EDOM, smoe_compete_weights(2, minus, weight));
    IS(SMOE_EDOM, smoe_compete_weights_v1(2, spoilt, weight));
    IS(SMOE_EDOM, smoe_compete_weights_vjp(2, spoilt, half, half, dvalue));
    IS(SMOE_EDOM, smoe_compete_weights_vjp(2, minus, half, half, dvalue));
    IS(SMOE_EDOM, smoe_compete_weights_vjp(2, value, spoilt, half, dvalue));
    IS(SMOE_EDOM, smoe_compete_weights_vjp(2, value, half, spoilt, dvalue));
    IS(SMOE_EDOM, smoe_compete_weights_v1_vjp(2, half, spoilt, dvalue));
    ck_assert_msg(untouched(2, weight) && untouched(2, dvalue), "C.2 wrote in spite of an error");
    const double huge[2] = {0x1.8p1023, 0x1.8p1023}, cancel[2] = {0x1p1000, -0x1.fffffffffffffp999},
                 tiny[2] = {0x1p-1000, 0};
    IS(SMOE_EOVRFLW, smoe_compete_weights(2, huge, weight));
    IS(SMOE_EOVRFLW, smoe_compete_weights_vjp(2, huge, half, half, dvalue));
    OK(smoe_compete_weights(2, cancel, weight)); /* a sum of 2^947: weights of the size of 2^53, right as they are */
    IS(SMOE_EOVRFLW, smoe_compete_weights_vjp(2, tiny, half, (double[]){0x1p100, 0}, dvalue));
}
END_TEST

START_TEST(route_errors)
{
    double o[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, s[6], weight[4], margin[2], y[4], value[2], g[12], work[30];
    const double kept_s[6] = {1, 2, 3, 4, 5, 6}, kept_w[4] = {0.5, 0.5, 0.5, 0.5}, zero[6] = {0},
                 spoilt[6] = {0, 0, 0, 0, 0, bad[_i]};
    size_t index[4] = {77, 77, 77, 77};
    const size_t kept_i[4] = {2, 1, 2, 1}, wrong[4] = {2, 3, 2, 1};
    smoe_status (*const forward[2])(size_t, size_t, size_t, size_t, const double *, double *, size_t *, double *,
                                    double *, double *, double *) = {smoe_route, smoe_route_v1};
    smoe_status (*const vjp[2])(size_t, size_t, size_t, size_t, const double *, const double *, const size_t *,
                                const double *, const double *, const double *, const double *, double *,
                                double *) = {smoe_route_vjp, smoe_route_v1_vjp};
    poison_all(6, s), poison_all(4, weight), poison_all(2, margin), poison_all(4, y), poison_all(12, g);
    for (int v = 0; v < 2; v++) {
        IS(SMOE_EINVAL, forward[v](2, 3, 0, 2, o, s, index, weight, margin, y, value));
        IS(SMOE_EINVAL, forward[v](2, 3, 4, 2, o, s, index, weight, margin, y, value));
        IS(SMOE_EINVAL, forward[v](2, 0, 0, 2, o, s, index, weight, margin, y, value));
        IS(SMOE_EINVAL, forward[v](2, 3, 2, 0, o, s, index, weight, margin, y, value));
        IS(SMOE_EINVAL, vjp[v](2, 3, 4, 2, o, kept_s, kept_i, kept_w, zero, zero, zero, g, work));
        IS(SMOE_EDOM, vjp[v](2, 3, 2, 2, o, kept_s, wrong, kept_w, zero, zero, zero, g, work));
        IS(SMOE_EDOM, vjp[v](2, 3, 2, 2, o, spoilt, kept_i, kept_w, zero, zero, zero, g, work));
        IS(SMOE_EDOM, vjp[v](2, 3, 2, 2, o, kept_s, kept_i, spoilt + 2, zero, zero, zero, g, work));
        IS(SMOE_EDOM, vjp[v](2, 3, 2, 2, o, kept_s, kept_i, kept_w, spoilt + 2, zero, zero, g, work));
        IS(SMOE_EDOM, vjp[v](2, 3, 2, 2, o, kept_s, kept_i, kept_w, zero, spoilt + 2, zero, g, work));
        IS(SMOE_EDOM, vjp[v](2, 3, 2, 2, o, kept_s, kept_i, kept_w, zero, zero, spoilt, g, work));
        o[11] = bad[_i]; /* in the last token: nothing is written for the first one either */
        IS(SMOE_EDOM, forward[v](2, 3, 2, 2, o, s, index, weight, margin, y, value));
        IS(SMOE_EDOM, vjp[v](2, 3, 2, 2, o, kept_s, kept_i, kept_w, zero, zero, zero, g, work));
        o[11] = 12;
    }
    for (size_t k = 6; k < 12; k++) o[k] = -746; /* the second token has no response at all */
    IS(SMOE_EDOM, smoe_route(2, 3, 2, 2, o, s, index, weight, margin, y, value));
    bool same = true;
    for (size_t a = 0; a < 4; a++) same = same && index[a] == 77;
    ck_assert_msg(same && untouched(6, s) && untouched(4, weight) && untouched(2, margin) && untouched(4, y) &&
                      untouched(12, g),
                  "C.3 wrote in spite of an error");
    for (size_t k = 0; k < 12; k++) o[k] = 0x1.8p1023;
    IS(SMOE_EOVRFLW, smoe_route(2, 3, 2, 2, o, s, index, weight, margin, y, value));
    IS(SMOE_EOVRFLW, smoe_route_v1(2, 3, 2, 2, o, s, index, weight, margin, y, value));
    const double steep[4] = {0x1p600, 0, 0, 0};
    IS(SMOE_EOVRFLW, smoe_route_vjp(2, 3, 2, 2, o, kept_s, kept_i, kept_w, steep, zero, zero, g, work));
    for (size_t k = 0; k < 12; k++) o[k] = 1;
    const double top[6] = {0x1.fp1023, 0x1.fp1023, 0x1.fp1023, 0x1.fp1023, 0x1.fp1023, 0x1.fp1023};
    IS(SMOE_EOVRFLW,
       smoe_route_vjp(2, 3, 2, 2, o, kept_s, kept_i, kept_w, top, top, zero, g, work)); /* total dweight */
    /* total ds: an infinite sum of a finite given part and a finite part of (C.2) */
    const double down[4] = {-0x1.8p1023, 0x1.8p1022, 0, 0};
    IS(SMOE_EOVRFLW,
       smoe_route_vjp(1, 3, 2, 2, o, (double[]){0, 0.25, 0.25}, kept_i, kept_w, zero, down, top, g, work));
    /* and the sum of what reaches o through y and through s: (1 + sigmoid(1/2)) 3 2^1022 */
    const size_t only_one = 0;
    const double one = 1, much = 0.5, large = 0x1.8p1023;
    IS(SMOE_EOVRFLW, smoe_route_vjp(1, 1, 1, 1, &much, &much, &only_one, &one, &large, zero, &large, g, work));
}
END_TEST

START_TEST(combine_errors)
{
    double o[6] = {1, 2, 3, 4, 5, 6}, weight[2] = {0.5, 0.5}, y[2], dy[2] = {1, 1}, dweight[2], g[6];
    const size_t index[2] = {0, 2}, wrong[2] = {0, 3};
    const double spoilt[6] = {1, bad[_i]}, huge[6] = {0x1.8p1023, 0x1.8p1023, 0, 0, 0x1.8p1023, 0x1.8p1023},
                 one[2] = {1, 1};
    poison_all(2, y), poison_all(2, dweight), poison_all(6, g);
    IS(SMOE_EINVAL, smoe_compete_combine(3, 0, 2, index, weight, o, y));
    IS(SMOE_EINVAL, smoe_compete_combine(1, 2, 2, index, weight, o, y));
    IS(SMOE_EINVAL, smoe_compete_combine(3, 2, 0, index, weight, o, y));
    IS(SMOE_EDOM, smoe_compete_combine(3, 2, 2, wrong, weight, o, y));
    IS(SMOE_EDOM, smoe_compete_combine(3, 2, 2, (size_t[]){3, 0}, weight, o, y));
    IS(SMOE_EDOM, smoe_compete_combine(3, 2, 2, index, spoilt, o, y));
    IS(SMOE_EDOM, smoe_compete_combine(3, 2, 2, index, weight, spoilt, y));
    IS(SMOE_EINVAL, smoe_compete_combine_vjp(3, 0, 2, index, weight, o, dy, dweight, g));
    IS(SMOE_EINVAL, smoe_compete_combine_vjp(1, 2, 2, index, weight, o, dy, dweight, g));
    IS(SMOE_EINVAL, smoe_compete_combine_vjp(3, 2, 0, index, weight, o, dy, dweight, g));
    IS(SMOE_EDOM, smoe_compete_combine_vjp(3, 2, 2, wrong, weight, o, dy, dweight, g));
    IS(SMOE_EDOM, smoe_compete_combine_vjp(3, 2, 2, index, spoilt, o, dy, dweight, g));
    IS(SMOE_EDOM, smoe_compete_combine_vjp(3, 2, 2, index, weight, spoilt, dy, dweight, g));
    IS(SMOE_EDOM, smoe_compete_combine_vjp(3, 2, 2, index, weight, o, spoilt, dweight, g));
    ck_assert_msg(untouched(2, y) && untouched(2, dweight) && untouched(6, g), "C.3 wrote in spite of an error");
    IS(SMOE_EOVRFLW, smoe_compete_combine(3, 2, 2, index, one, huge, y));
    IS(SMOE_EOVRFLW, smoe_compete_combine_vjp(3, 2, 2, index, one, huge, dy, dweight, g));
    IS(SMOE_EOVRFLW,
       smoe_compete_combine_vjp(3, 2, 2, index, (double[]){8, 8}, o, (double[]){0x1p1022, -0x1p1022}, dweight, g));
}
END_TEST

START_TEST(distill_errors)
{
    const double r[6] = {1, 2, 3, 4, 5, 6}, spoilt[6] = {1, bad[_i]}, p[6] = {0.5, 0.5, 0, 0, 0.5, 0.5},
                 q[6] = {0, 0, 1, 1, 0, 0};
    const size_t index[4] = {0, 2, 1, 2}, wrong[4] = {0, 2, 1, 3};
    double a[6], b[6], loss, g[6], work[3];
    poison_all(6, a), poison_all(6, b), poison_all(1, &loss), poison_all(6, g);
#define EVERY(status, T, N, K, theta, x, y, index)                                                                     \
    IS(status, smoe_distill(T, N, K, theta, x, y, index, a, b, &loss));                                                \
    IS(status, smoe_distill_loss(T, N, K, theta, x, y, index, &loss));                                                 \
    IS(status, smoe_distill_loss_vjp(T, N, K, theta, x, y, index, 1, g));                                              \
    IS(status, smoe_distill_vjp(T, N, K, theta, x, y, index, 1, g, work));                                             \
    IS(status, smoe_distill_target_vjp(T, N, K, theta, x, y, index, 1, g, work))
    EVERY(SMOE_EINVAL, 0, 3, 2, 1, r, r, index);
    EVERY(SMOE_EINVAL, 2, 3, 0, 1, r, r, index);
    EVERY(SMOE_EINVAL, 2, 3, 4, 1, r, r, index);
    EVERY(SMOE_EINVAL, 2, 0, 0, 1, r, r, index);
    EVERY(SMOE_EDOM, 2, 3, 2, bad[_i], r, r, index);
    EVERY(SMOE_EDOM, 2, 3, 2, 1, spoilt, r, index);
    EVERY(SMOE_EDOM, 2, 3, 2, 1, r, spoilt, index);
    EVERY(SMOE_EDOM, 2, 3, 2, 1, r, r, wrong);
#undef EVERY
    IS(SMOE_EDOM, smoe_distill_loss_vjp(2, 3, 2, 1, p, q, index, bad[_i], g));
    IS(SMOE_EDOM, smoe_distill_vjp(2, 3, 2, 1, p, q, index, bad[_i], g, work));
    IS(SMOE_EDOM, smoe_distill_target_vjp(2, 3, 2, 1, p, q, index, bad[_i], g, work));
    ck_assert_msg(untouched(6, a) && untouched(6, b) && untouched(1, &loss) && untouched(6, g),
                  "C.5 wrote in spite of an error");
    const double huge[6] = {0x1p1000, 0, 0, 0, 0, 0};
    IS(SMOE_EOVRFLW, smoe_distill_loss(2, 3, 2, 1, huge, q, index, &loss));
    IS(SMOE_EOVRFLW, smoe_distill_loss_vjp(2, 3, 2, 0x1p1000, p, q, index, 0x1p1000, g));
    IS(SMOE_EOVRFLW, smoe_distill_vjp(2, 3, 2, 0x1p1000, p, q, index, 0x1p1000, g, work));
    IS(SMOE_EOVRFLW, smoe_distill_target_vjp(2, 3, 2, 0x1p1000, p, q, index, 0x1p1000, g, work));
}
END_TEST

START_TEST(diversity_errors)
{
    const double o[4] = {1, 2, 3, 4}, spoilt[4] = {1, 1, 1, bad[_i]}, u[4] = {1, 0, 0, 1}, size[2] = {1, 1};
    double unit[4], norm[2], loss, g[4];
    poison_all(4, unit), poison_all(2, norm), poison_all(1, &loss), poison_all(4, g);
    smoe_status (*const f[2])(size_t, size_t, size_t, const double *, double *, double *,
                              double *) = {smoe_diversity_pairs, smoe_diversity_square};
    smoe_status (*const vjp[2])(size_t, size_t, size_t, const double *, const double *, double,
                                double *) = {smoe_diversity_pairs_vjp, smoe_diversity_square_vjp};
    for (int v = 0; v < 2; v++) {
        IS(SMOE_EINVAL, f[v](0, 2, 2, o, unit, norm, &loss));
        IS(SMOE_EINVAL, f[v](1, 0, 2, o, unit, norm, &loss));
        IS(SMOE_EINVAL, f[v](1, 2, 0, o, unit, norm, &loss));
        IS(SMOE_EINVAL, vjp[v](0, 2, 2, u, size, 1, g));
        IS(SMOE_EINVAL, vjp[v](1, 0, 2, u, size, 1, g));
        IS(SMOE_EINVAL, vjp[v](1, 2, 0, u, size, 1, g));
        IS(SMOE_EDOM, f[v](1, 2, 2, spoilt, unit, norm, &loss));
        IS(SMOE_EDOM, vjp[v](1, 2, 2, spoilt, size, 1, g));
        IS(SMOE_EDOM, vjp[v](1, 2, 2, u, spoilt + 2, 1, g));
        IS(SMOE_EDOM, vjp[v](1, 2, 2, u, size, bad[_i], g));
        IS(SMOE_EDOM, f[v](2, 1, 2, spoilt, unit, norm, &loss)); /* the second token of two is looked at, too */
        IS(SMOE_EDOM, vjp[v](2, 1, 2, spoilt, size, 1, g));
        IS(SMOE_EDOM, vjp[v](2, 1, 2, u, spoilt + 2, 1, g));
    }
    ck_assert_msg(untouched(4, unit) && untouched(2, norm) && untouched(1, &loss) && untouched(4, g),
                  "C.6 wrote in spite of an error");
    IS(SMOE_EOVRFLW, smoe_diversity_pairs(1, 1, 2, (double[]){0x1.8p1023, 0x1.8p1023}, unit, norm, &loss));
    IS(SMOE_EOVRFLW, smoe_diversity_pairs_vjp(1, 2, 2, u, (double[]){0x1p-1060, 1}, 1, g));
}
END_TEST

/* Runs forward or vjp with one thing wrong, and says whether no output was touched. */
static bool refused(layer *l, smoe_status want)
{
    const size_t T = l->shape.T, K = l->shape.K, n = (T ? T : 1) * 4;
    poison_all(n, l->out.y), poison_all(5, l->scalar), poison_all(l->n, l->g);
    for (size_t a = 0; a < T * K; a++) l->out.index[a] = 0;
    IS(want, run(l, l->theta));
    const bool clean = untouched(n, l->out.y) && untouched(5, l->scalar);
    IS(want, back(l));
    return clean && untouched(l->n, l->g);
}

START_TEST(layer_errors)
{
    layer *l = layer_new(2, 4, 3, 3, 2);
    l->router = _i >= 3;
    draw_layer(l, 47);
    const smoe_layer_shape shape = l->shape;
    const smoe_compete_options opt = l->opt;
#define REFUSE(field, value, status)                                                                                   \
    do {                                                                                                               \
        l->field = (value);                                                                                            \
        ck_assert_msg(refused(l, status), "C.8 wrote although %s was wrong", #field);                                  \
        l->shape = shape, l->opt = opt;                                                                                \
    } while (0)
    REFUSE(shape.T, 0, SMOE_EINVAL);
    REFUSE(shape.d, 0, SMOE_EINVAL);
    REFUSE(shape.h, 0, SMOE_EINVAL);
    REFUSE(shape.K, 0, SMOE_EINVAL);
    REFUSE(shape.K, 4, SMOE_EINVAL);
    REFUSE(shape.phi, (smoe_activation)9, SMOE_EINVAL);
    if (l->router) REFUSE(shape.order, (smoe_weight_order)9, SMOE_EINVAL);
    REFUSE(opt.count, (smoe_count)9, SMOE_EINVAL);
    REFUSE(opt.target, (smoe_target)9, SMOE_EINVAL);
    REFUSE(opt.diversity, (smoe_diversity)9, SMOE_EINVAL);
    REFUSE(opt.theta, bad[_i % 3], SMOE_EDOM);
    REFUSE(opt.c_distill, bad[_i % 3], SMOE_EDOM);
    REFUSE(opt.c_diversity, bad[_i % 3], SMOE_EDOM);
    REFUSE(opt.c_balance, bad[_i % 3], SMOE_EDOM);
    REFUSE(opt.c_zloss, bad[_i % 3], SMOE_EDOM);
    for (int b = 0; b < BLOCKS; b++) {
        double *last = &l->theta[l->at[b + 1] - 1], kept = *last;
        *last = bad[_i % 3];
        ck_assert_msg(refused(l, SMOE_EDOM), "C.8 wrote although %s was not finite", block_name[b]);
        *last = kept;
    }
    OK(run(l, l->theta));
    const smoe_compete_cot cot = l->cot;
    poison_all(l->n, l->g);
#define COT(field)                                                                                                     \
    l->cot.field = bad[_i % 3];                                                                                        \
    IS(SMOE_EDOM, back(l));                                                                                            \
    l->cot = cot
    COT(loss);
    COT(distill);
    COT(diversity);
    COT(balance);
    COT(zloss);
    l->dy[0] = bad[_i % 3];
    IS(SMOE_EDOM, back(l));
    l->dy[0] = 0, l->dweight[3] = bad[_i % 3];
    IS(SMOE_EDOM, back(l));
    l->dweight[3] = 0;
    ck_assert_msg(untouched(l->n, l->g), "C.8: the gradient was written in spite of an error");
    l->cot.loss = 0x1p1023, l->opt.c_balance = 4;
    IS(SMOE_EOVRFLW, back(l));
    l->cot = cot, l->cot.balance = 0x1p1023, l->cot.zloss = 0x1p1023, l->cot.distill = 0x1p1023;
    IS(SMOE_EOVRFLW, back(l));
    l->cot = cot;
    for (size_t k = l->at[B2]; k < l->at[B2] + 8; k++) l->theta[k] = 50; /* experts 0 and 1 win: balance above 1 */
    l->theta[l->at[BR]] = 99;
    l->opt.c_balance = 0x1.fp1023;
    IS(SMOE_EOVRFLW, run(l, l->theta));
    l->opt = opt;
    l->theta[l->at[W2]] = l->theta[l->at[W2] + 1] = 0x1.8p1023;
    for (size_t k = l->at[B1]; k < l->at[W2]; k++) l->theta[k] = 9;
    for (size_t k = l->at[WR]; k < l->at[WR] + 4; k++) l->theta[k] = 0; /* the router chooses expert 0 */
    IS(SMOE_EOVRFLW, run(l, l->theta));
    layer_free(l);
}
END_TEST

/* Outputs far below -745 everywhere: no response, no winner. */
START_TEST(silent_experts)
{
    layer *l = layer_new(2, 4, 3, 3, 2);
    draw_layer(l, 53);
    for (size_t k = l->at[B2]; k < l->n; k++) l->theta[k] = -1000;
    poison_all(8, l->out.y), poison_all(5, l->scalar), poison_all(6, l->out.r), poison_all(6, l->out.s);
    IS(SMOE_EDOM, run(l, l->theta));
    ck_assert_msg(untouched(8, l->out.y) && untouched(5, l->scalar) && untouched(6, l->out.r) && untouched(6, l->out.s),
                  "C.8 wrote although no expert responds");
    layer_free(l);
}
END_TEST

/* The activations of one chunk of tokens, no more room than they need. */
static void chunk_room(smoe_compete_kept *kept, const smoe_layer_shape *s, size_t C)
{
    kept->o = room(C * s->N * s->d);
    kept->a = room(s->N * C * s->h);
    kept->u = room(s->N * C * s->h);
    kept->e = room(C * s->d);
    kept->won = room(C * s->K * s->d);
    kept->unit = room(C * s->K * s->d);
    kept->norm = room(C * s->K);
}

static void chunk_free(smoe_compete_kept *kept)
{
    free(kept->o), free(kept->a), free(kept->u), free(kept->e), free(kept->won), free(kept->unit), free(kept->norm);
}

/* evidence properties: C.8 */
START_TEST(chunks_change_no_bit)
{
    for (size_t chunk = 1; chunk <= 8; chunk++) {
        layer *l = layer_new(7, 5, 6, 4, 2);
        l->opt.version = _i ? SMOE_VERSION_1 : SMOE_VERSION_2;
        l->opt.response = _i ? SMOE_RESPONSE_NORM : SMOE_RESPONSE_SOFTPLUS;
        l->opt.target = SMOE_TARGET_ATTACHED;
        l->opt.mix = 0.25;
        draw_layer(l, 77 + chunk);
        const size_t T = l->shape.T, n[] = {T * 5, T * 4, T * 4, T * 2, T, 5, l->n};
        double *const x[] = {l->out.y, l->out.r, l->out.s, l->out.weight, l->out.margin, l->scalar, l->g}, *whole[7];
        for (int i = 0; i < 7; i++) {
            whole[i] = room(n[i]);
            memcpy(whole[i], x[i], n[i] * sizeof(double));
            for (size_t k = 0; k < n[i]; k++) x[i][k] = NAN;
        }
        const smoe_compete_kept all = l->kept;
        l->opt.chunk = chunk;
        chunk_room(&l->kept, &l->shape, chunk < T ? chunk : T);
        OK(run(l, l->theta));
        OK(back(l));
        for (int i = 0; i < 7; i++) {
            ck_assert_msg(memcmp(whole[i], x[i], n[i] * sizeof(double)) == 0,
                          "%zu tokens at a time give other bits than all at once (block %d)", chunk, i);
            free(whole[i]);
        }
        chunk_free(&l->kept);
        l->kept = all;
        layer_free(l);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("compete");
    TCase *hand = tcase_create("by hand"), *slope = tcase_create("gradients"), *property = tcase_create("properties");
    TCase *error = tcase_create("errors");
    tcase_add_test(hand, responses_by_hand);
    tcase_add_test(hand, weights_by_hand);
    tcase_add_test(hand, route_by_hand);
    tcase_add_test(hand, route_version_1_by_hand);
    tcase_add_test(hand, distill_by_hand);
    tcase_add_test(hand, distill_from_scores_by_hand);
    tcase_add_test(hand, diversity_by_hand);
    tcase_add_test(hand, competition_by_hand);
    tcase_add_test(hand, competition_of_two_by_hand);
    tcase_add_test(hand, router_step_by_hand);
    tcase_add_loop_test(slope, gradient_of_responses, 0, KINDS);
    tcase_add_loop_test(slope, gradient_of_the_route, 1, 3);
    tcase_add_test(slope, gradient_of_distillation);
    tcase_add_loop_test(slope, gradient_of_diversity, 0, 2);
    tcase_add_loop_test(slope, gradient_of_the_layer, 0, 6);
    tcase_add_test(property, response_properties);
    tcase_add_test(property, weights_properties);
    tcase_add_test(property, route_symmetries);
    tcase_add_test(property, route_corners);
    tcase_add_test(property, distill_properties);
    tcase_add_test(property, diversity_properties);
    tcase_add_test(property, who_learns_from_what);
    tcase_add_test(property, total_and_terms);
    tcase_add_loop_test(property, layer_symmetries, 0, 2);
    tcase_add_test(property, layer_corners);
    tcase_add_loop_test(property, router_step_is_the_layer, 0, 3);
    tcase_add_loop_test(property, chunks_change_no_bit, 0, 2);
    tcase_add_loop_test(error, response_errors, 0, 3);
    tcase_add_loop_test(error, weights_errors, 0, 3);
    tcase_add_loop_test(error, route_errors, 0, 3);
    tcase_add_loop_test(error, combine_errors, 0, 3);
    tcase_add_loop_test(error, distill_errors, 0, 3);
    tcase_add_loop_test(error, diversity_errors, 0, 3);
    tcase_add_loop_test(error, layer_errors, 0, 6);
    tcase_add_test(error, silent_experts);
    suite_add_tcase(s, hand);
    suite_add_tcase(s, slope);
    suite_add_tcase(s, property);
    suite_add_tcase(s, error);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
