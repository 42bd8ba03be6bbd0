/* Gate and weights, spec/02-gate.md: hand-computed values, gradients by two methods, properties, every error path. */
#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "gate.h"
#include "lone.h"
#include "slopes.h"

/* Within `ulps` units of the last place of `want`; false for NaN. */
static bool near(double got, double want, double ulps) { return fabs(got - want) <= ulps * 0x1p-52 * fabs(want); }

#define SAME(got, want, n, what)                                                                                       \
    for (size_t same_k = 0; same_k < (n); same_k++)                                                                    \
    ck_assert_msg((got)[same_k] == (want)[same_k], "%s[%zu] is %a, by hand it is %a", what, same_k, (got)[same_k],     \
                  (want)[same_k])
#define NEAR(got, want, n, ulps, what)                                                                                 \
    for (size_t near_k = 0; near_k < (n); near_k++)                                                                    \
    ck_assert_msg(near((got)[near_k], (want)[near_k], ulps), "%s[%zu] is %a, by hand it is %a", what, near_k,          \
                  (got)[near_k], (want)[near_k])
#define INDEX(got, want, n, what)                                                                                      \
    for (size_t index_k = 0; index_k < (n); index_k++)                                                                 \
    ck_assert_msg((got)[index_k] == (want)[index_k], "%s: place %zu has expert %zu, expected %zu", what, index_k,      \
                  (got)[index_k], (size_t)(want)[index_k])

enum { ORDERS = 3 };
static const smoe_weight_order orders[ORDERS] = {SMOE_TOPK_SOFTMAX, SMOE_SOFTMAX_TOPK, SMOE_SOFTMAX_TOPK_RENORM};
static const char *const order_name[ORDERS] = {"G.2 topk-softmax", "G.3 softmax-topk", "G.4 softmax-topk-renorm"};

/* --- hand-computed values --- */

/* x_1 = (1,2): r = (1+1/2, 2-1, 2-2);  x_2 = (-1,0): r = (-1+1/2, -1, -2).  dr_1 = (1,2,3), dr_2 = (0,1,-1). */
/* evidence hand: G.1 */
START_TEST(linear_by_hand)
{
    const double x[] = {1, 2, -1, 0}, wr[] = {1, 0, 0, 1, 2, -1}, br[] = {0.5, -1, 0}, dr[] = {1, 2, 3, 0, 1, -1};
    double r[6], dx[4], dwr[6], dbr[3];
    ck_assert_int_eq(smoe_gate_linear(2, 2, 3, x, wr, br, r), SMOE_OK);
    SAME(r, ((double[]){1.5, 1, 0, -0.5, -1, -2}), 6, "G.1 r");
    ck_assert_int_eq(smoe_gate_linear_vjp(2, 2, 3, x, wr, dr, dx, dwr, dbr), SMOE_OK);
    SAME(dbr, ((double[]){1, 3, 2}), 3, "G.1 dbr");
    SAME(dwr, ((double[]){1, 2, 2 - 1, 4, 3 + 1, 6}), 6, "G.1 dwr = sum dr x'");
    SAME(dx, ((double[]){1 + 6, 2 - 3, -2, 1 + 1}), 4, "G.1 dx = Wr' dr");
}
END_TEST

/* r = (0, ln 3, -1), K = 2: I = (1, 0), weights e^ln3 : e^0 = 3/4, 1/4, margin 0 - (-1) = 1.
 * dweight = (1, 0): <weight, dweight> = 3/4, so dr_1 = 3/4 (1 - 3/4) = 3/16, dr_0 = 1/4 (0 - 3/4) = -3/16, dr_2 = 0. */
/* evidence hand: G.2 */
START_TEST(topk_softmax_by_hand)
{
    const double r[] = {0, 1.09861228866810969140, -1}, dweight[] = {1, 0};
    double weight[2], margin, value[2], dr[3], dvalue[2];
    size_t index[2];
    ck_assert_int_eq(smoe_weights_topk_softmax(3, 2, r, index, weight, &margin, value), SMOE_OK);
    INDEX(index, ((size_t[]){1, 0}), 2, "G.2");
    NEAR(weight, ((double[]){0.75, 0.25}), 2, 4, "G.2 weight");
    ck_assert_msg(margin == 1, "G.2 margin is %a", margin);
    ck_assert_int_eq(smoe_weights_topk_softmax_vjp(3, 2, index, weight, dweight, dr, dvalue), SMOE_OK);
    NEAR(dr, ((double[]){-3.0 / 16, 3.0 / 16, 0}), 3, 8, "G.2 dr");
}
END_TEST

/* r = (0, ln 2, ln 5): p = (1/8, 2/8, 5/8), K = 2: I = (2, 1), weights 5/8 and 1/4.  dweight = (1, 2): dp = (0, 2, 1),
 * <p, dp> = 9/8, dr = (-9/64, 1/4 (2 - 9/8), 5/8 (1 - 9/8)) = (-9/64, 14/64, -5/64). */
/* evidence hand: G.3 */
START_TEST(softmax_topk_by_hand)
{
    const double r[] = {0, 0.69314718055994530942, 1.60943791243410037460}, dweight[] = {1, 2};
    double weight[2], margin, p[3], dr[3], dp[3];
    size_t index[2];
    ck_assert_int_eq(smoe_weights_softmax_topk(3, 2, r, index, weight, &margin, p), SMOE_OK);
    INDEX(index, ((size_t[]){2, 1}), 2, "G.3");
    NEAR(weight, ((double[]){0.625, 0.25}), 2, 4, "G.3 weight");
    ck_assert_msg(margin == r[1], "G.3 margin is on the logits: %a", margin);
    ck_assert_int_eq(smoe_weights_softmax_topk_vjp(3, 2, index, p, dweight, dr, dp), SMOE_OK);
    NEAR(dr, ((double[]){-9.0 / 64, 14.0 / 64, -5.0 / 64}), 3, 32, "G.3 dr");
}
END_TEST

/* The same logits: weights 5/7, 2/7.  <weight, dweight> = 9/7, dr_2 = 5/7 (1 - 9/7) = -10/49 = -dr_1, dr_0 = 0. */
/* evidence hand: G.4 */
START_TEST(softmax_topk_renorm_by_hand)
{
    const double r[] = {0, 0.69314718055994530942, 1.60943791243410037460}, dweight[] = {1, 2};
    double weight[2], margin, p[3], dr[3], dvalue[2];
    size_t index[2];
    ck_assert_int_eq(smoe_weights_softmax_topk_renorm(3, 2, r, index, weight, &margin, p), SMOE_OK);
    INDEX(index, ((size_t[]){2, 1}), 2, "G.4");
    NEAR(weight, ((double[]){5.0 / 7, 2.0 / 7}), 2, 4, "G.4 weight");
    ck_assert_msg(margin == r[1], "G.4 margin is on the logits: %a", margin);
    ck_assert_int_eq(smoe_weights_softmax_topk_renorm_vjp(3, 2, index, weight, dweight, dr, dvalue), SMOE_OK);
    NEAR(dr, ((double[]){0, 10.0 / 49, -10.0 / 49}), 3, 16, "G.4 dr");
    ck_assert_msg(dr[0] == 0, "G.4 gives an expert that was not chosen the gradient %a", dr[0]);
}
END_TEST

/* Four equal logits, K = 2: experts 0 and 1, weights 1/2 (G.2, G.4) or 1/4 (G.3), exactly, margin 0. */
/* evidence hand: G.2 G.3 G.4 */
START_TEST(equal_logits_by_hand)
{
    const double r[] = {7, 7, 7, 7}, want[ORDERS] = {0.5, 0.25, 0.5};
    double weight[2], margin, p[4];
    size_t index[2];
    ck_assert_int_eq(smoe_gate_weights(orders[_i], 1, 4, 2, r, index, weight, &margin, p), SMOE_OK);
    INDEX(index, ((size_t[]){0, 1}), 2, order_name[_i]);
    SAME(weight, ((double[]){want[_i], want[_i]}), 2, order_name[_i]);
    ck_assert_msg(margin == 0, "%s: margin of a tie is %a", order_name[_i], margin);
}
END_TEST

/* --- gradients --- */

typedef struct {
    int order;
    size_t N, K;
    const size_t *index;
    const double *dweight;
} token;

/* <dweight, weight> in extended precision, by the definition, with the selection held. */
static long double exact(const void *test, const long double *r)
{
    const token *q = test;
    long double all = 0, chosen = 0, phi = 0;
    for (size_t i = 0; i < q->N; i++) all += expl(r[i]);
    for (size_t j = 0; j < q->K; j++) chosen += expl(r[q->index[j]]);
    for (size_t j = 0; j < q->K; j++)
        phi += q->dweight[j] * expl(r[q->index[j]]) / (orders[q->order] == SMOE_SOFTMAX_TOPK ? all : chosen);
    return phi;
}

static double library(const void *test, const double *r)
{
    const token *q = test;
    double weight[8], margin, p[8];
    size_t index[8];
    ck_assert_int_eq(smoe_gate_weights(orders[q->order], 1, q->N, q->K, r, index, weight, &margin, p), SMOE_OK);
    long double phi = 0;
    for (size_t j = 0; j < q->K; j++) phi += (long double)q->dweight[j] * weight[j];
    return (double)phi;
}

/* Logits a quarter apart at least, in random order, so that no step of a check changes the selection. */
static void apart(uint64_t *seed, size_t N, double *r)
{
    for (size_t i = 0; i < N; i++) r[i] = 0.4 * (double)i - 1 + 0.07 * slopes_draw(seed);
    for (size_t i = N; i > 1; i--) {
        size_t j = (size_t)((slopes_draw(seed) + 1) / 2 * (double)i);
        double swap = r[i - 1];
        r[i - 1] = r[j];
        r[j] = swap;
    }
}

static void gradient(token *q, uint64_t seed, double *r, double *dweight, size_t *index, double *dr)
{
    double weight[8], margin, p[8], work[8];
    apart(&seed, q->N, r);
    slopes_fill(&seed, 1.0, q->K, dweight);
    q->index = index;
    q->dweight = dweight;
    ck_assert_int_eq(smoe_gate_weights(orders[q->order], 1, q->N, q->K, r, index, weight, &margin, p), SMOE_OK);
    ck_assert_int_eq(smoe_gate_weights_vjp(orders[q->order], 1, q->N, q->K, index, weight, p, dweight, dr, work),
                     SMOE_OK);
}

/* evidence gradient: G.2 G.3 G.4 */
START_TEST(gradient_is_the_slope)
{
    for (size_t K = 1; K <= 6; K++)
        for (uint64_t seed = 1; seed <= 3; seed++) {
            token q = {.order = _i, .N = 6, .K = K};
            double r[6], dweight[6], dr[6];
            size_t index[6];
            gradient(&q, seed, r, dweight, index, dr);
            double order = slopes_order(6, r, dr, exact, &q, seed),
                   off = slopes_adjoint(6, r, dr, library, &q, 0, 6, seed);
            ck_assert_msg(order > 1.8, "%s, K = %zu: Taylor remainder falls with order %.3f, not 2", order_name[_i], K,
                          order);
            ck_assert_msg(off <= 1e-8, "%s, K = %zu: the adjoint identity is off by %.1e", order_name[_i], K, off);
        }
}
END_TEST

/* Negative control: an entry off by 1/1000, and the gradient of another order. */
START_TEST(a_wrong_gradient_is_seen)
{
    token q = {.order = _i, .N = 6, .K = 3}, other = {.order = _i == 1 ? 0 : 1, .N = 6, .K = 3};
    double r[6], dweight[6], dr[6], wrong[6];
    size_t index[6];
    gradient(&other, 5, r, dweight, index, wrong);
    gradient(&q, 5, r, dweight, index, dr);
    dr[index[0]] *= 1.001;
    double order = slopes_order(6, r, dr, exact, &q, 5), off = slopes_adjoint(6, r, dr, library, &q, 0, 6, 5);
    ck_assert_msg(order < 1.5 && off > 1e-6, "%s: accepted, order %.3f, off %.1e", order_name[_i], order, off);
    order = slopes_order(6, r, wrong, exact, &q, 5);
    off = slopes_adjoint(6, r, wrong, library, &q, 0, 6, 5);
    ck_assert_msg(order < 1.5 && off > 1e-6, "%s: %s's gradient accepted", order_name[_i], order_name[other.order]);
}
END_TEST

enum { GT = 4, GD = 5, GN = 3 };

static long double exact_linear(const void *test, const long double *q)
{
    const double *dr = test;
    long double phi = 0;
    for (size_t t = 0; t < GT; t++)
        for (size_t i = 0; i < GN; i++) {
            long double r = q[GT * GD + GN * GD + i];
            for (size_t k = 0; k < GD; k++) r += q[t * GD + k] * q[GT * GD + i * GD + k];
            phi += dr[t * GN + i] * r;
        }
    return phi;
}

static double library_linear(const void *test, const double *q)
{
    const double *dr = test;
    double r[GT * GN];
    ck_assert_int_eq(smoe_gate_linear(GT, GD, GN, q, q + GT * GD, q + GT * GD + GN * GD, r), SMOE_OK);
    long double phi = 0;
    for (size_t k = 0; k < GT * GN; k++) phi += (long double)dr[k] * r[k];
    return (double)phi;
}

/* evidence gradient: G.1 */
START_TEST(gradient_of_the_linear_gate)
{
    enum { n = GT * GD + GN * GD + GN };
    const size_t at[] = {0, GT * GD, GT * GD + GN * GD, n};
    double q[n], g[n], dr[GT * GN];
    uint64_t seed = 23;
    slopes_fill(&seed, 1.0, n, q);
    slopes_fill(&seed, 1.0, GT * GN, dr);
    ck_assert_int_eq(smoe_gate_linear_vjp(GT, GD, GN, q, q + at[1], dr, g, g + at[1], g + at[2]), SMOE_OK);
    double order = slopes_order(n, q, g, exact_linear, dr, 1);
    ck_assert_msg(order > 1.8, "G.1: Taylor remainder falls with order %.3f, not 2", order);
    for (int b = 0; b < 3; b++) {
        double off = slopes_adjoint(n, q, g, library_linear, dr, at[b], at[b + 1] - at[b], 1);
        ck_assert_msg(off <= 1e-8, "G.1, block %d: the adjoint identity is off by %.1e", b, off);
        g[at[b]] += 0.001; /* negative control */
        order = slopes_order(n, q, g, exact_linear, dr, 1);
        off = slopes_adjoint(n, q, g, library_linear, dr, at[b], at[b + 1] - at[b], 1);
        ck_assert_msg(order < 1.5 && off > 1e-6, "G.1, block %d: a wrong gradient is accepted", b);
        g[at[b]] -= 0.001;
    }
}
END_TEST

/* --- properties --- */

/* Every logit is one chain and one rounded addition, whatever the batch. */
/* evidence properties: G.1 */
START_TEST(linear_gate_is_its_definition)
{
    enum { T = 9, d = 13, N = 7 };
    double x[T * d], wr[N * d], br[N], r[T * N];
    uint64_t seed = 29;
    slopes_fill(&seed, 1.0, T * d, x);
    slopes_fill(&seed, 1.0, N * d, wr);
    slopes_fill(&seed, 1.0, N, br);
    ck_assert_int_eq(smoe_gate_linear(T, d, N, x, wr, br, r), SMOE_OK);
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) {
            double s = 0;
            for (size_t k = 0; k < d; k++) s = fma(x[t * d + k], wr[i * d + k], s);
            s += br[i];
            ck_assert_msg(r[t * N + i] == s, "r[%zu,%zu] is %a, its chain gives %a", t, i, r[t * N + i], s);
        }
    ck_assert_int_eq(smoe_gate_linear(0, d, N, x, wr, br, r), SMOE_OK);
    double dx[1], dwr[N * d], dbr[N];
    ck_assert_int_eq(smoe_gate_linear_vjp(0, d, N, x, wr, r, dx, dwr, dbr), SMOE_OK);
    for (size_t k = 0; k < N * d; k++) ck_assert_msg(dwr[k] == 0 && dbr[k % N] == 0, "no tokens, but a gradient");
}
END_TEST

/* Integer logits: adding an integer to all is exact, and no weight, margin or gradient may change by a bit. */
/* evidence properties: G.2 G.3 G.4 */
START_TEST(a_shift_changes_nothing)
{
    double r[] = {3, -2, 5, 0, 1, -7}, dweight[] = {1, -0.5, 0.25};
    double w[2][3], m[2], p[6], dr[2][6], work[6];
    size_t index[2][3];
    for (int s = 0; s < 2; s++) {
        for (size_t i = 0; i < 6; i++) r[i] += s * 1000;
        ck_assert_int_eq(smoe_gate_weights(orders[_i], 1, 6, 3, r, index[s], w[s], &m[s], p), SMOE_OK);
        ck_assert_int_eq(smoe_gate_weights_vjp(orders[_i], 1, 6, 3, index[s], w[s], p, dweight, dr[s], work), SMOE_OK);
    }
    ck_assert_msg(memcmp(index[0], index[1], sizeof index[0]) == 0, "%s: index", order_name[_i]);
    ck_assert_msg(memcmp(w[0], w[1], sizeof w[0]) == 0 && m[0] == m[1], "%s: weight or margin", order_name[_i]);
    ck_assert_msg(memcmp(dr[0], dr[1], sizeof dr[0]) == 0, "%s: dr", order_name[_i]);
}
END_TEST

/* Renaming the experts renames the indices; the weights follow.  A batch is its tokens, bit for bit. */
/* evidence properties: G.2 G.3 G.4 */
START_TEST(permutations_and_batches)
{
    enum { T = 5, N = 6, K = 3 };
    double r[T * N], s[T * N], w[T * K], v[T * K], m[T], p[T * N], one[K], margin, row[N], dw[T * K], dr[T * N], dr1[N];
    size_t I[T * K], J[T * K], one_I[K], name[N] = {4, 2, 0, 5, 1, 3}; /* expert i is called name[i] */
    uint64_t seed = 31;
    for (size_t t = 0; t < T; t++) apart(&seed, N, r + t * N);
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) s[t * N + name[i]] = r[t * N + i];
    slopes_fill(&seed, 1.0, T * K, dw);
    ck_assert_int_eq(smoe_gate_weights(orders[_i], T, N, K, s, J, v, m, p), SMOE_OK);
    ck_assert_int_eq(smoe_gate_weights(orders[_i], T, N, K, r, I, w, m, p), SMOE_OK);
    ck_assert_int_eq(smoe_gate_weights_vjp(orders[_i], T, N, K, I, w, p, dw, dr, row), SMOE_OK);
    for (size_t a = 0; a < T * K; a++) {
        ck_assert_msg(J[a] == name[I[a]], "%s: assignment %zu", order_name[_i], a);
        ck_assert_msg(near(v[a], w[a], 8), "%s: weight %zu", order_name[_i], a);
        ck_assert_msg(a % K == 0 || w[a] <= w[a - 1], "%s: weight %zu is larger than the one before", order_name[_i],
                      a);
    }
    for (size_t t = 0; t < T; t++) {
        double p1[N];
        ck_assert_int_eq(smoe_gate_weights(orders[_i], 1, N, K, r + t * N, one_I, one, &margin, p1), SMOE_OK);
        ck_assert_int_eq(smoe_gate_weights_vjp(orders[_i], 1, N, K, one_I, one, p1, dw + t * K, dr1, row), SMOE_OK);
        ck_assert_msg(memcmp(one, w + t * K, sizeof one) == 0 && margin == m[t], "%s: token %zu", order_name[_i], t);
        ck_assert_msg(memcmp(dr1, dr + t * N, sizeof dr1) == 0, "%s: dr of token %zu", order_name[_i], t);
    }
}
END_TEST

/* Sums: 1 for G.2 and G.4, below 1 for G.3 unless K = N, where all three are the same. The margin is +inf for K = N. */
/* evidence properties: G.2 G.3 G.4 */
START_TEST(sums_of_weights)
{
    enum { N = 6 };
    double r[N], w[ORDERS][N], margin, p[N];
    size_t index[N];
    uint64_t seed = 37;
    for (size_t K = 1; K <= N; K++) {
        apart(&seed, N, r);
        for (int o = 0; o < ORDERS; o++) {
            ck_assert_int_eq(smoe_gate_weights(orders[o], 1, N, K, r, index, w[o], &margin, p), SMOE_OK);
            double sum = smoe_sum(K, w[o]);
            bool whole = orders[o] != SMOE_SOFTMAX_TOPK || K == N;
            ck_assert_msg(whole ? near(sum, 1, N) : sum < 0.99, "%s, K = %zu: weights sum to %a", order_name[o], K,
                          sum);
            ck_assert_msg((margin == INFINITY) == (K == N), "%s, K = %zu: margin %a", order_name[o], K, margin);
        }
        for (size_t j = 0; j < K; j++) {
            ck_assert_msg(near(w[2][j], w[0][j], 8), "G.4 is not G.2 for K = %zu", K);
            if (K == N) ck_assert_msg(near(w[1][j], w[0][j], 8), "G.3 is not G.2 for K = N");
        }
    }
}
END_TEST

/* K = 1: G.2 and G.4 give weight 1 and gradient 0, exactly (TopOneZeroGrad); G.3 does not.  N = 1: all three do. */
/* evidence properties: G.2 G.3 G.4 */
START_TEST(top_one)
{
    const double r[] = {0.3, -1.2, 2.5, 0.7}, dweight = 3.7;
    double w, margin, p[4], dr[4], work[4], largest = 0;
    size_t index;
    ck_assert_int_eq(smoe_gate_weights(orders[_i], 1, 4, 1, r, &index, &w, &margin, p), SMOE_OK);
    ck_assert_int_eq(smoe_gate_weights_vjp(orders[_i], 1, 4, 1, &index, &w, p, &dweight, dr, work), SMOE_OK);
    for (size_t i = 0; i < 4; i++) largest = fmax(largest, fabs(dr[i]));
    ck_assert_msg(index == 2, "%s chose expert %zu", order_name[_i], index);
    if (orders[_i] == SMOE_SOFTMAX_TOPK)
        ck_assert_msg(w < 1 && largest > 0.1, "G.3 at K = 1: weight %a, largest gradient %a", w, largest);
    else
        ck_assert_msg(w == 1 && largest == 0, "%s at K = 1: weight %a, largest gradient %a", order_name[_i], w,
                      largest);
    ck_assert_int_eq(smoe_gate_weights(orders[_i], 1, 1, 1, r, &index, &w, &margin, p), SMOE_OK);
    ck_assert_int_eq(smoe_gate_weights_vjp(orders[_i], 1, 1, 1, &index, &w, p, &dweight, dr, work), SMOE_OK);
    ck_assert_msg(index == 0 && w == 1 && dr[0] == 0 && margin == INFINITY, "%s with one expert", order_name[_i]);
}
END_TEST

/* Ties go to the lower index, -0 ties with +0, and logits decide where probabilities have underflowed into a tie. */
/* evidence properties: G.2 G.3 G.4 */
START_TEST(ties_and_extremes)
{
    double w[3], margin, p[5];
    size_t index[3];
    const double ties[] = {1, 2, 2, 1, 2}, zeros[] = {-0.0, 0.0, -0.0, 0.0, -1};
    ck_assert_int_eq(smoe_gate_weights(orders[_i], 1, 5, 2, ties, index, w, &margin, p), SMOE_OK);
    INDEX(index, ((size_t[]){1, 2}), 2, "a tie of three");
    ck_assert_msg(margin == 0, "margin %a", margin);
    ck_assert_int_eq(smoe_gate_weights(orders[_i], 1, 5, 3, zeros, index, w, &margin, p), SMOE_OK);
    INDEX(index, ((size_t[]){0, 1, 2}), 3, "zeros of both signs");
    ck_assert_msg(w[0] == w[1] && w[1] == w[2] && margin == 0, "zeros of both signs differ");

    const double deep[] = {-900, -850, -800, 0, -870};
    ck_assert_int_eq(smoe_gate_weights(orders[_i], 1, 5, 3, deep, index, w, &margin, p), SMOE_OK);
    INDEX(index, ((size_t[]){3, 2, 1}), 3, "probabilities that underflow");
    SAME(w, ((double[]){1, 0, 0}), 3, "probabilities that underflow");
    ck_assert_msg(margin == 20, "margin %a", margin);

    const double huge[] = {-0x1.fp1023, 0x1.fp1023, 0, 5, -3}, dw[] = {1, 2};
    double dr[5], work[5];
    ck_assert_int_eq(smoe_gate_weights(orders[_i], 1, 5, 1, huge, index, w, &margin, p), SMOE_OK);
    ck_assert_msg(index[0] == 1 && w[0] == 1, "huge logits: expert %zu, weight %a", index[0], w[0]);
    ck_assert_int_eq(smoe_gate_weights(orders[_i], 1, 5, 2, huge, index, w, &margin, p), SMOE_OK);
    ck_assert_int_eq(smoe_gate_weights_vjp(orders[_i], 1, 5, 2, index, w, p, dw, dr, work), SMOE_OK);
    SAME(dr, ((double[]){0, 0, 0, 0, 0}), 5, "gradient at huge logits");
    ck_assert_int_eq(smoe_gate_weights(orders[_i], 0, 5, 2, huge, index, w, &margin, p), SMOE_OK);
}
END_TEST

/* The weights cannot be confined as a softmax of probabilities would confine them: [1/(1+e), e/(1+e)] at K = 2. */
/* evidence properties: G.2 G.4 */
START_TEST(no_double_softmax)
{
    const double r[] = {9, 0, -3};
    double w[2], margin, p[3];
    size_t index[2];
    for (int o = 0; o < ORDERS; o += 2) {
        ck_assert_int_eq(smoe_gate_weights(orders[o], 1, 3, 2, r, index, w, &margin, p), SMOE_OK);
        ck_assert_msg(w[0] > 0.9998 && w[1] < 0.0002, "%s: weights %g and %g", order_name[o], w[0], w[1]);
    }
}
END_TEST

/* --- errors --- */

enum { EN = 4, EK = 2, ROOM = 12 };
typedef struct {
    size_t index[ROOM];
    double weight[ROOM], margin[ROOM], p[ROOM], dr[ROOM], work[ROOM];
} outputs;

static bool poisoned(const outputs *o)
{
    const unsigned char *byte = (const unsigned char *)o;
    for (size_t k = 0; k < sizeof *o; k++)
        if (byte[k] != 0x5a) return false;
    return true;
}

#define REFUSED(call, want)                                                                                            \
    do {                                                                                                               \
        outputs o;                                                                                                     \
        memset(&o, 0x5a, sizeof o);                                                                                    \
        smoe_status refused = call;                                                                                    \
        ck_assert_msg(refused == (want), "%s: %s", #call, smoe_strerror(refused));                                     \
        ck_assert_msg(poisoned(&o), "%s wrote something", #call);                                                      \
    } while (0)

START_TEST(sizes_that_make_no_sense)
{
    const double nan[ROOM] = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN}; /* sizes come first */
    const size_t I[ROOM] = {99, 99};
    const struct {
        size_t N, K;
    } bad[] = {{0, 0}, {0, 1}, {4, 0}, {4, 5}};
    for (size_t b = 0; b < 4; b++) {
        const size_t N = bad[b].N, K = bad[b].K;
        REFUSED(smoe_weights_topk_softmax(N, K, nan, o.index, o.weight, o.margin, o.p), SMOE_EINVAL);
        REFUSED(smoe_weights_softmax_topk(N, K, nan, o.index, o.weight, o.margin, o.p), SMOE_EINVAL);
        REFUSED(smoe_weights_softmax_topk_renorm(N, K, nan, o.index, o.weight, o.margin, o.p), SMOE_EINVAL);
        REFUSED(smoe_weights_topk_softmax_vjp(N, K, I, nan, nan, o.dr, o.work), SMOE_EINVAL);
        REFUSED(smoe_weights_softmax_topk_vjp(N, K, I, nan, nan, o.dr, o.work), SMOE_EINVAL);
        REFUSED(smoe_weights_softmax_topk_renorm_vjp(N, K, I, nan, nan, o.dr, o.work), SMOE_EINVAL);
        REFUSED(smoe_gate_weights(SMOE_TOPK_SOFTMAX, 1, N, K, nan, o.index, o.weight, o.margin, o.p), SMOE_EINVAL);
        REFUSED(smoe_gate_weights_vjp(SMOE_TOPK_SOFTMAX, 1, N, K, I, nan, nan, nan, o.dr, o.work), SMOE_EINVAL);
    }
    const smoe_weight_order none = (smoe_weight_order)7;
    REFUSED(smoe_gate_weights(none, 1, EN, EK, nan, o.index, o.weight, o.margin, o.p), SMOE_EINVAL);
    REFUSED(smoe_gate_weights_vjp(none, 1, EN, EK, I, nan, nan, nan, o.dr, o.work), SMOE_EINVAL);
    REFUSED(smoe_gate_linear(2, 0, 2, nan, nan, nan, o.p), SMOE_EINVAL);
    REFUSED(smoe_gate_linear(2, 2, 0, nan, nan, nan, o.p), SMOE_EINVAL);
    REFUSED(smoe_gate_linear_vjp(2, 0, 2, nan, nan, nan, o.p, o.dr, o.work), SMOE_EINVAL);
    REFUSED(smoe_gate_linear_vjp(2, 2, 0, nan, nan, nan, o.p, o.dr, o.work), SMOE_EINVAL);
}
END_TEST

START_TEST(values_that_are_refused)
{
    const smoe_weight_order order = orders[_i];
    const double bad[] = {NAN, INFINITY, -INFINITY};
    double r[2 * EN] = {0, 1, 2, 3, 3, 2, 1, 0}, w[4] = {0.5, 0.5, 0.5, 0.5}, dw[4] = {1, 2, 3, 4};
    double p[2 * EN] = {0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25};
    size_t I[4] = {3, 2, 0, 1};
    for (size_t k = 0; k < 2 * EN; k++) { /* the second token's too: the first must not be written before */
        double right = r[k];
        r[k] = bad[k % 3];
        REFUSED(smoe_gate_weights(order, 2, EN, EK, r, o.index, o.weight, o.margin, o.p), SMOE_EDOM);
        r[k] = right;
    }
    double *kept = order == SMOE_SOFTMAX_TOPK ? p : w;
    kept[3] = NAN;
    REFUSED(smoe_gate_weights_vjp(order, 2, EN, EK, I, w, p, dw, o.dr, o.work), SMOE_EDOM);
    kept[3] = 0.25;
    dw[3] = INFINITY;
    REFUSED(smoe_gate_weights_vjp(order, 2, EN, EK, I, w, p, dw, o.dr, o.work), SMOE_EDOM);
    dw[3] = 4;
    I[3] = EN;
    REFUSED(smoe_gate_weights_vjp(order, 2, EN, EK, I, w, p, dw, o.dr, o.work), SMOE_EDOM);
}
END_TEST

START_TEST(values_that_one_token_refuses)
{
    const double nan[EN] = {0, NAN, 1, 2}, fine[EN] = {0.25, 0.25, 0.25, 0.25}, dw[EK] = {1, 2};
    const size_t I[EK] = {0, 1}, out[EK] = {0, EN};
    REFUSED(smoe_weights_topk_softmax(EN, EK, nan, o.index, o.weight, o.margin, o.p), SMOE_EDOM);
    REFUSED(smoe_weights_softmax_topk(EN, EK, nan, o.index, o.weight, o.margin, o.p), SMOE_EDOM);
    REFUSED(smoe_weights_softmax_topk_renorm(EN, EK, nan, o.index, o.weight, o.margin, o.p), SMOE_EDOM);
    REFUSED(smoe_weights_topk_softmax_vjp(EN, EK, I, nan, dw, o.dr, o.work), SMOE_EDOM);
    REFUSED(smoe_weights_softmax_topk_vjp(EN, EK, I, nan, dw, o.dr, o.work), SMOE_EDOM);
    REFUSED(smoe_weights_softmax_topk_renorm_vjp(EN, EK, I, fine, nan, o.dr, o.work), SMOE_EDOM);
    REFUSED(smoe_weights_topk_softmax_vjp(EN, EK, out, fine, dw, o.dr, o.work), SMOE_EDOM);
    REFUSED(smoe_weights_softmax_topk_vjp(EN, EK, out, fine, dw, o.dr, o.work), SMOE_EDOM);
    double q[7] = {1, 1, 1, 1, 1, 1, 1}; /* x [1,2], wr [2,2], br or dr [..] */
    for (size_t k = 0; k < 6; k++) {
        q[k] = k % 2 ? NAN : INFINITY;
        REFUSED(smoe_gate_linear(1, 2, 2, q, q + 2, dw, o.p), SMOE_EDOM);
        REFUSED(smoe_gate_linear_vjp(1, 2, 2, q, q + 2, dw, o.p, o.dr, o.work), SMOE_EDOM);
        q[k] = 1;
    }
    REFUSED(smoe_gate_linear(1, 2, 2, q, q + 2, nan, o.p), SMOE_EDOM);
    REFUSED(smoe_gate_linear_vjp(1, 2, 2, q, q + 2, nan, o.p, o.dr, o.work), SMOE_EDOM);
}
END_TEST

START_TEST(overflow_is_reported)
{
    const double big[] = {0x1p600, 0x1p600}, zero[] = {0, 0};
    double r[2], dx[2], dwr[4], dbr[2];
    ck_assert_int_eq(smoe_gate_linear(1, 1, 2, big, big, zero, r), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_gate_linear_vjp(1, 1, 2, big, zero, big, dx, dwr, dbr), SMOE_EOVRFLW);
    const double w[] = {0.75, 0.25}, dw[] = {0x1.8p1023, -0x1.8p1023};
    const size_t I[] = {0, 1};
    double dr[2], work[2];
    for (int o = 0; o < ORDERS; o++)
        ck_assert_int_eq(smoe_gate_weights_vjp(orders[o], 1, 2, 2, I, w, w, dw, dr, work), SMOE_EOVRFLW);
}
END_TEST

/* The last number of one output is beyond the format, and no other number is. */
START_TEST(overflow_of_the_last_number)
{
    const size_t T = _i ? 5 : 2, D = 3, N = _i ? 2 : 5;
    const double big = LONE_BIG;
    double *dx = zeros(), *dwr = zeros(), *dbr = zeros(), *dr = lone(T * N, LONE_TOP);
    dr[N - 1] = LONE_TOP;
    LONE_OVERFLOW(smoe_gate_linear(T, D, N, lone(T * D, big), lone(N * D, big), zeros(), dx));
    LONE_OVERFLOW(smoe_gate_linear_vjp(T, D, N, zeros(), lone(N * D, big), lone(T * N, big), dx, dwr, dbr)); /* dx */
    LONE_OVERFLOW(smoe_gate_linear_vjp(T, D, N, lone(T * D, big), zeros(), lone(T * N, big), dx, dwr, dbr)); /* dwr */
    LONE_OVERFLOW(smoe_gate_linear_vjp(T, D, N, zeros(), zeros(), dr, dx, dwr, dbr)); /* dbr, of two tokens */
}
END_TEST

/* The last number of one input is none, or the last index is that of no expert. */
START_TEST(the_last_number_is_refused)
{
    const size_t N = _i ? 3 : 5, K = _i ? 3 : 2, T = _i ? 4 : 2, D = 3;
    size_t I[ROOM] = {0}, off[ROOM] = {0};
    off[K - 1] = N;
    outputs o;
    LONE_REFUSED(smoe_weights_topk_softmax(N, K, lone(N, NAN), o.index, o.weight, o.margin, o.p));
    LONE_REFUSED(smoe_weights_softmax_topk(N, K, lone(N, NAN), o.index, o.weight, o.margin, o.p));
    LONE_REFUSED(smoe_weights_softmax_topk_renorm(N, K, lone(N, NAN), o.index, o.weight, o.margin, o.p));
    for (int bad = 0; bad < 3; bad++) {
        const double *kept = lone(K, bad == 0 ? NAN : 0), *p = lone(N, bad == 0 ? NAN : 0),
                     *dw = lone(K, bad == 1 ? NAN : 0);
        const size_t *index = bad == 2 ? off : I;
        LONE_REFUSED(smoe_weights_topk_softmax_vjp(N, K, index, kept, dw, o.dr, o.work));
        LONE_REFUSED(smoe_weights_softmax_topk_vjp(N, K, index, p, dw, o.dr, o.work));
        LONE_REFUSED(smoe_weights_softmax_topk_renorm_vjp(N, K, index, kept, dw, o.dr, o.work));
    }
    double *y = zeros(), *dx = zeros(), *dwr = zeros();
    LONE_REFUSED(smoe_gate_linear(T, D, N, lone(T * D, NAN), zeros(), zeros(), y));
    LONE_REFUSED(smoe_gate_linear(T, D, N, zeros(), lone(N * D, NAN), zeros(), y));
    LONE_REFUSED(smoe_gate_linear(T, D, N, zeros(), zeros(), lone(N, NAN), y));
    LONE_REFUSED(smoe_gate_linear_vjp(T, D, N, lone(T * D, NAN), zeros(), zeros(), dx, dwr, y));
    LONE_REFUSED(smoe_gate_linear_vjp(T, D, N, zeros(), lone(N * D, NAN), zeros(), dx, dwr, y));
    LONE_REFUSED(smoe_gate_linear_vjp(T, D, N, zeros(), zeros(), lone(T * N, NAN), dx, dwr, y));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gate");
    TCase *t = tcase_create("G.1 to G.4");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, linear_by_hand);
    tcase_add_test(t, topk_softmax_by_hand);
    tcase_add_test(t, softmax_topk_by_hand);
    tcase_add_test(t, softmax_topk_renorm_by_hand);
    tcase_add_loop_test(t, equal_logits_by_hand, 0, ORDERS);
    tcase_add_loop_test(t, gradient_is_the_slope, 0, ORDERS);
    tcase_add_loop_test(t, a_wrong_gradient_is_seen, 0, ORDERS);
    tcase_add_test(t, gradient_of_the_linear_gate);
    tcase_add_test(t, linear_gate_is_its_definition);
    tcase_add_loop_test(t, a_shift_changes_nothing, 0, ORDERS);
    tcase_add_loop_test(t, permutations_and_batches, 0, ORDERS);
    tcase_add_test(t, sums_of_weights);
    tcase_add_loop_test(t, top_one, 0, ORDERS);
    tcase_add_loop_test(t, ties_and_extremes, 0, ORDERS);
    tcase_add_test(t, no_double_softmax);
    tcase_add_test(t, sizes_that_make_no_sense);
    tcase_add_loop_test(t, values_that_are_refused, 0, ORDERS);
    tcase_add_test(t, values_that_one_token_refuses);
    tcase_add_test(t, overflow_is_reported);
    tcase_add_loop_test(t, overflow_of_the_last_number, 0, 2);
    tcase_add_loop_test(t, the_last_number_is_refused, 0, 2);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
