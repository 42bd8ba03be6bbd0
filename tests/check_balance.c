/* Balancing losses, spec/04-balance.md, B.1 to B.8: hand-computed values, gradients by two methods, properties,
 * errors. */
#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "balance.h"
#include "lone.h"
#include "slopes.h"

/* Within `ulps` units of the last place of `want`; false for NaN. */
static bool near(double got, double want, double ulps) { return fabs(got - want) <= ulps * 0x1p-52 * fabs(want); }

#define SAME(got, want, n, what)                                                                                       \
    for (size_t same_k = 0; same_k < (n); same_k++)                                                                    \
    ck_assert_msg((got)[same_k] == (want)[same_k], "%s[%zu] is %a, by hand it is %a", what, same_k, (got)[same_k],     \
                  (want)[same_k])

#define OK(call) ck_assert_int_eq(call, SMOE_OK)

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

/* --- hand-computed values --- */

/* Three tokens with two choices each: {0,1} {1,3} {1,0}.  Expert 0 is chosen twice, 1 three times, 3 once; first: 0,
 * 1, 1. */
/* evidence hand: B.1 */
START_TEST(load_by_hand)
{
    const size_t index[] = {0, 1, 1, 3, 1, 0}, want[] = {2, 3, 0, 1}, want_first[] = {1, 2, 0, 0};
    size_t count[4], first[4];
    OK(smoe_expert_load(6, 4, index, count));
    OK(smoe_expert_load_first(6, 2, 4, index, first));
    for (size_t i = 0; i < 4; i++) {
        ck_assert_msg(count[i] == want[i], "B.1: c_%zu is %zu, by hand it is %zu", i, count[i], want[i]);
        ck_assert_msg(first[i] == want_first[i], "B.1 first: c_%zu is %zu, by hand %zu", i, first[i], want_first[i]);
    }
}
END_TEST

/* Counts 3, 4, 0, 1 of 8. */
/* evidence hand: B.2 */
START_TEST(fraction_by_hand)
{
    const size_t count[] = {3, 4, 0, 1};
    double f[4];
    OK(smoe_load_fraction(8, 4, count, f));
    SAME(f, ((double[]){0.375, 0.5, 0, 0.125}), 4, "B.2 f");
}
END_TEST

/* Columns of (1/2 1/4 1/4), (1/4 1/2 1/4), (0 0 1), (1/4 1/4 1/2) sum to 1, 1, 2; over 4.  The gradient is dP/4, four
 * times. */
/* evidence hand: B.3 */
START_TEST(mean_probability_by_hand)
{
    const double p[] = {0.5, 0.25, 0.25, 0.25, 0.5, 0.25, 0, 0, 1, 0.25, 0.25, 0.5}, dP[] = {1, -2, 8};
    double P[3], dp[12];
    OK(smoe_mean_probability(4, 3, p, P));
    SAME(P, ((double[]){0.25, 0.25, 0.5}), 3, "B.3 P");
    OK(smoe_mean_probability_vjp(4, 3, dP, dp));
    SAME(dp, ((double[]){0.25, -0.5, 2, 0.25, -0.5, 2, 0.25, -0.5, 2, 0.25, -0.5, 2}), 12, "B.3 dp");
}
END_TEST

/* "The Switch loss is at least 1" is folklore.  f = (3/4, 1/4), P = (3/8, 5/8):  2 (9/32 + 5/32) = 28/32 = 7/8.
 * Gradient for dloss = 4:  4 * 2 * f = (6, 2). */
/* evidence hand: B.4 */
START_TEST(seven_eighths)
{
    const double f[] = {0.75, 0.25}, P[] = {0.375, 0.625};
    double loss, dP[2];
    OK(smoe_switch_loss(2, f, P, &loss));
    ck_assert_msg(loss == 0.875, "B.4: loss is %a, by hand 7/8", loss);
    OK(smoe_switch_loss_vjp(2, f, 4, dP));
    SAME(dP, ((double[]){6, 2}), 2, "B.4 dP");
}
END_TEST

/* The same from logits: (0,0) three times, and (-400, 400), whose softmax is (0, 1) because e^-800 is below every
 * double. Gradient for dloss = 4: dP = (6, 2), dp = (3/2, 1/2); for p = (1/2, 1/2) the mean is 1, dz = 1/2 (1/2,
 * -1/2); for p = (0, 1) it is 0. */
/* evidence hand: B.3 B.4 */
START_TEST(seven_eighths_from_logits)
{
    const double z[] = {0, 0, 0, 0, 0, 0, -400, 400}, none[] = {0, 0};
    size_t index[] = {0, 0, 0, 1}, count[2];
    double f[2], p[8], P[2], loss, work[2], dz[8];
    OK(smoe_expert_load(4, 2, index, count));
    OK(smoe_load_fraction(4, 2, count, f));
    OK(smoe_balance_loss(1, 4, 2, z, f, p, P, &loss));
    SAME(P, ((double[]){0.375, 0.625}), 2, "B.3 P");
    ck_assert_msg(loss == 0.875, "B.4: loss is %a, by hand 7/8", loss);
    OK(smoe_balance_loss_vjp(1, 4, 2, f, p, 4, none, work, dz));
    SAME(dz, ((double[]){0.25, -0.25, 0.25, -0.25, 0.25, -0.25, 0, 0}), 8, "B.4 dz");
}
END_TEST

/* Two layers of four tokens with two choices, logits (8,4,0,0) and (0,0,8,4).  With Z = e^8 + e^4 + 2 the chosen
 * experts have P = e^8/Z and e^4/Z and f = 1/2:  4/2 (e^8 + e^4)/Z = 2 (1 - 2/Z) = 1.99868315190913560... each.
 * Layers pooled, f is 1/4 everywhere and the loss 1.  (e^8 = 2980.9579870417283, e^4 = 54.598150033144239, evaluated
 * with 50 digits.) */
/* evidence hand: B.5 */
START_TEST(opposite_collapses_do_not_cancel)
{
    double z[32], f[8], pooled[4], p[32], P[8], loss;
    size_t index[16], count[4];
    for (size_t t = 0; t < 8; t++) {
        const size_t top = t < 4 ? 0 : 2;
        for (size_t i = 0; i < 4; i++) z[4 * t + i] = i == top ? 8 : i == top + 1 ? 4 : 0;
        index[2 * t] = top;
        index[2 * t + 1] = top + 1;
    }
    for (size_t b = 0; b < 2; b++) {
        OK(smoe_expert_load(8, 4, index + 8 * b, count));
        OK(smoe_load_fraction(8, 4, count, f + 4 * b));
    }
    OK(smoe_balance_loss(2, 4, 4, z, f, p, P, &loss));
    ck_assert_msg(near(loss, 0x1.ffa9b2f484148p+0, 4), "B.5: %.17g, by hand 1.9986831519091356", loss);
    OK(smoe_expert_load(16, 4, index, count));
    OK(smoe_load_fraction(16, 4, count, pooled));
    OK(smoe_balance_loss(1, 8, 4, z, pooled, p, P, &loss));
    ck_assert_msg(near(loss, 1, 4), "B.4 on the pooled layers: %.17g, by hand 1", loss);
}
END_TEST

/* f = (1,0), P = (3/4,1/4) and f = (0,1), P = (1/4,3/4): each has 2 * 3/4, the mean is 3/2; dP for dloss = 1 is (1/2)
 * 2 f. */
/* evidence hand: B.5 */
START_TEST(sequences_by_hand)
{
    const double f[] = {1, 0, 0, 1}, P[] = {0.75, 0.25, 0.25, 0.75};
    double loss, dP[4];
    OK(smoe_switch_loss_sequences(2, 2, f, P, &loss));
    ck_assert_msg(loss == 1.5, "B.5: loss is %a, by hand 3/2", loss);
    OK(smoe_switch_loss_sequences_vjp(2, 2, f, 1, dP));
    SAME(dP, f, 4, "B.5 dP");
}
END_TEST

/* One expert: logsumexp is the logit, (3^2 + (-1)^2)/2 = 5, and dr = 2 r/T = (3, -1).  Two experts at 0: ln 2
 * squared, and dr = ln 2 each (2 ln 2 by 1/2).  ln 2 = 0x1.62e42fefa39efp-1, (ln 2)^2 = 0.480453013918201424667... */
/* evidence hand: B.6 */
START_TEST(z_loss_by_hand)
{
    const double r[] = {3, -1}, zero[] = {0, 0};
    double lse[2], loss, dr[2];
    OK(smoe_z_loss(2, 1, r, lse, &loss));
    ck_assert_msg(loss == 5, "B.6: loss is %a, by hand 5", loss);
    OK(smoe_z_loss_vjp(2, 1, r, lse, 1, dr));
    SAME(dr, ((double[]){3, -1}), 2, "B.6 dr");
    OK(smoe_z_loss(1, 2, zero, lse, &loss));
    ck_assert_msg(near(loss, 0x1.ebfbdff82c58fp-2, 1), "B.6: loss is %a, by hand (ln 2)^2", loss);
    OK(smoe_z_loss_vjp(1, 2, zero, lse, 1, dr));
    ck_assert_msg(near(dr[0], 0x1.62e42fefa39efp-1, 2) && dr[1] == dr[0], "B.6: dr is (%a, %a), by hand ln 2", dr[0],
                  dr[1]);
}
END_TEST

/* N = 2, K = 1: two tokens with p = (3/4, 1/4) on expert 0 and padding with (1/8, 7/8).  f = (1, 0), P = (3/4, 1/4),
 * loss 3/2; with the padding counted it is 37/36.  dP = (2, 0), dp = (1, 0), mean 3/4: dz = (3/16, -3/16) twice, 0 for
 * the padding. */
/* evidence hand: B.7 */
START_TEST(padding_by_hand)
{
    const double p[] = {0.75, 0.25, 0.75, 0.25, 0.125, 0.875}, mask[] = {1, 1, 0}, all[] = {1, 1, 1};
    const size_t index[] = {0, 0, 1};
    size_t real, count[2];
    double f[2], P[2], loss, work[2], dz[6];
    OK(smoe_real_tokens(3, mask, &real));
    ck_assert_msg(real == 2, "B.7: %zu real tokens", real);
    OK(smoe_expert_load_masked(3, 1, 1, 2, index, mask, count));
    ck_assert_msg(count[0] == 2 && count[1] == 0, "B.7: counts (%zu, %zu), by hand (2, 0)", count[0], count[1]);
    OK(smoe_load_fraction(real, 2, count, f));
    OK(smoe_mean_probability_masked(3, 2, p, mask, P));
    SAME(P, ((double[]){0.75, 0.25}), 2, "B.7 P");
    OK(smoe_switch_loss(2, f, P, &loss));
    ck_assert_msg(loss == 1.5, "B.7: %a, by hand 3/2", loss);
    OK(smoe_balance_groups_vjp(1, 3, 2, f, p, mask, 1, work, dz));
    SAME(dz, ((double[]){0.1875, -0.1875, 0.1875, -0.1875, 0, 0}), 6, "B.7 dz");
    OK(smoe_expert_load_masked(3, 1, 1, 2, index, all, count));
    OK(smoe_load_fraction(3, 2, count, f));
    OK(smoe_mean_probability_masked(3, 2, p, all, P));
    OK(smoe_switch_loss(2, f, P, &loss));
    ck_assert_msg(near(loss, 37.0 / 36, 4), "B.7 with the padding counted: %.17g, by hand 37/36", loss);
}
END_TEST

/* Two groups of four from logits, the second one all padding, and a third of which only (0, 0) is real, f = (1, 0), P =
 * (1/2, 1/2), loss 1: 7/8 + 1, two groups. */
/* evidence hand: B.7 */
START_TEST(padded_groups_by_hand)
{
    double z[24] = {0}, p[24], P[6], sum;
    const double f[] = {0.75, 0.25, 0, 0, 1, 0}, mask[] = {1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0};
    size_t groups;
    z[6] = -400, z[7] = 400, z[16] = 5, z[23] = 9;
    OK(smoe_balance_groups(3, 4, 2, z, mask, f, p, P, &groups, &sum));
    ck_assert_msg(sum == 1.875 && groups == 2, "B.7: %a of %zu groups, by hand 15/8 of 2", sum, groups);
    SAME(P, ((double[]){0.375, 0.625, 0, 0, 0.5, 0.5}), 6, "B.7 P");
}
END_TEST

/* (3,4,0,1) of 8 with capacity 2: (2,2,0,1), f = (1/4, 1/4, 0, 1/8), and 4 * 1/4 * 5/8 = 5/8 for uniform P. */
/* evidence hand: B.8 */
START_TEST(capacity_by_hand)
{
    size_t count[] = {3, 4, 0, 1};
    const double P[] = {0.25, 0.25, 0.25, 0.25};
    double f[4], loss;
    smoe_load_kept(4, 2, count);
    OK(smoe_load_fraction(8, 4, count, f));
    SAME(f, ((double[]){0.25, 0.25, 0, 0.125}), 4, "B.8 f");
    OK(smoe_switch_loss(4, f, P, &loss));
    ck_assert_msg(loss == 0.625, "B.8: %a, by hand 5/8", loss);
}
END_TEST

/* --- gradients --- */

/* All losses of the chapter as functions of scores z [B,S,N]; f is data. */
enum { SWITCH, SEQUENCES, ZLOSS, MEAN, PADDED, LOSSES };
static const char *const loss_name[LOSSES] = {"B.4", "B.5", "B.6", "B.3", "B.7, B.8"};

typedef struct {
    int kind;
    size_t B, S, N;
    double f[12], dP[12], dloss, mask[15];
} problem;

static problem problem_of(int kind, uint64_t seed)
{
    problem q = {.kind = kind, .B = kind == SEQUENCES || kind == PADDED ? 3 : 1, .S = 5, .N = 4};
    slopes_fill(&seed, 1.0, 12, q.dP);
    if (kind != MEAN) memset(q.dP, 0, sizeof q.dP);
    q.dloss = kind == MEAN ? 0 : 1 + slopes_draw(&seed) / 2;
    for (size_t b = 0; b < q.B; b++) { /* fractions that sum to 1 and are not what the scores would give */
        double sum = 0;
        for (size_t i = 0; i < q.N; i++) sum += q.f[b * q.N + i] = 1.25 + slopes_draw(&seed);
        for (size_t i = 0; i < q.N; i++) q.f[b * q.N + i] /= sum;
        q.f[b * q.N] = kind == PADDED ? fmin(q.f[b * q.N], 0.125) : q.f[b * q.N]; /* as a capacity leaves it */
    }
    for (size_t t = 0; t < 15; t++) q.mask[t] = kind != PADDED || (t % 3 != 1 && t >= 5); /* no token in group 0 */
    return q;
}

/* From the formulas, in extended precision and by plain loops: exp as it stands, no maximum taken off. */
static long double exact(const void *test, const long double *z)
{
    const problem *q = test;
    long double phi = 0;
    const size_t groups = q->kind == PADDED ? 1 : q->B; /* PADDED is the sum over the groups */
    for (size_t b = 0; b < q->B; b++) {
        size_t real = 0;
        for (size_t t = b * q->S; t < (b + 1) * q->S; t++) real += q->mask[t] == 1;
        for (size_t t = b * q->S; t < (b + 1) * q->S; t++) {
            if (q->mask[t] == 0) continue;
            long double Z = 0;
            for (size_t i = 0; i < q->N; i++) Z += expl(z[t * q->N + i]);
            if (q->kind == ZLOSS) phi += q->dloss * logl(Z) * logl(Z) / (long double)q->S;
            for (size_t i = 0; i < q->N && q->kind != ZLOSS; i++) {
                long double P = expl(z[t * q->N + i]) / Z / (long double)real; /* this token's share of P_i */
                phi +=
                    (q->dloss * (long double)q->N * q->f[b * q->N + i] / (long double)groups + q->dP[b * q->N + i]) * P;
            }
        }
    }
    return phi;
}

static double library(const void *test, const double *z)
{
    const problem *q = test;
    double p[60], P[12], lse[15], loss;
    if (q->kind == ZLOSS) {
        OK(smoe_z_loss(q->S, q->N, z, lse, &loss));
        return q->dloss * loss;
    }
    if (q->kind == PADDED) {
        size_t groups;
        OK(smoe_balance_groups(q->B, q->S, q->N, z, q->mask, q->f, p, P, &groups, &loss));
        return q->dloss * loss;
    }
    OK(smoe_balance_loss(q->B, q->S, q->N, z, q->f, p, P, &loss));
    double phi = q->dloss * loss;
    for (size_t k = 0; k < q->B * q->N; k++) phi += q->dP[k] * P[k];
    return phi;
}

static void gradient(const problem *q, const double *z, double *dz)
{
    double p[60], P[12], lse[15], loss, work[4];
    if (q->kind == ZLOSS) {
        OK(smoe_z_loss(q->S, q->N, z, lse, &loss));
        OK(smoe_z_loss_vjp(q->S, q->N, z, lse, q->dloss, dz));
        return;
    }
    if (q->kind == PADDED) {
        size_t groups;
        OK(smoe_balance_groups(q->B, q->S, q->N, z, q->mask, q->f, p, P, &groups, &loss));
        OK(smoe_balance_groups_vjp(q->B, q->S, q->N, q->f, p, q->mask, q->dloss, work, dz));
        return;
    }
    OK(smoe_balance_loss(q->B, q->S, q->N, z, q->f, p, P, &loss));
    OK(smoe_balance_loss_vjp(q->B, q->S, q->N, q->f, p, q->dloss, q->dP, work, dz));
}

/* Where long double is no wider than double (under Valgrind), rounding shows in the smallest steps. */
static double least_order(void)
{
    volatile long double one = 1, more = one + 0x1p-60L;
    return more != one ? 1.8 : 1.4;
}

/* evidence gradient: B.3 B.4 B.5 B.6 B.7 B.8 */
START_TEST(gradient_is_the_slope)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        const problem q = problem_of(_i, seed);
        const size_t n = q.B * q.S * q.N;
        double z[60], dz[60];
        uint64_t state = seed + 100;
        slopes_fill(&state, 2.0, n, z);
        gradient(&q, z, dz);
        const double order = slopes_order(n, z, dz, exact, &q, seed);
        const double off = slopes_adjoint(n, z, dz, library, &q, 0, n, seed);
        ck_assert_msg(order > least_order(), "%s: Taylor remainder falls with order %.3f, not 2", loss_name[_i], order);
        ck_assert_msg(off <= 1e-8, "%s: <dloss, J v> and <dz, v> differ by %.1e", loss_name[_i], off);
    }
}
END_TEST

/* Negative control: one entry off by 1/1000, and the two classic slips of this gradient. */
START_TEST(a_wrong_gradient_is_seen)
{
    const problem q = problem_of(_i, 7);
    const size_t n = q.B * q.S * q.N;
    double z[60] = {0}, dz[60];
    uint64_t state = 107;
    slopes_fill(&state, 2.0, n, z);
    gradient(&q, z, dz);
    size_t largest = 0;
    for (size_t k = 0; k < n; k++)
        if (fabs(dz[k]) > fabs(dz[largest])) largest = k;
    dz[largest] *= 1.001;
    ck_assert_msg(slopes_order(n, z, dz, exact, &q, 7) < 1.5, "%s: Taylor accepts a wrong gradient", loss_name[_i]);
    ck_assert_msg(slopes_adjoint(n, z, dz, library, &q, 0, n, 7) > 1e-6, "%s: adjoint accepts it", loss_name[_i]);
    gradient(&q, z, dz);
    for (size_t k = 0; k < n; k++) dz[k] /= 2; /* P divided by T K, with K = 2 */
    ck_assert_msg(slopes_order(n, z, dz, exact, &q, 7) < 1.5, "%s: Taylor accepts half of it", loss_name[_i]);
    for (size_t k = 0; k < n; k++) dz[k] = 0; /* no gradient through P */
    ck_assert_msg(slopes_order(n, z, dz, exact, &q, 7) < 1.5, "%s: Taylor accepts a zero gradient", loss_name[_i]);
    ck_assert_msg(slopes_adjoint(n, z, dz, library, &q, 0, n, 7) > 1e-6, "%s: adjoint accepts zero", loss_name[_i]);
}
END_TEST

/* --- properties --- */

/* Counts sum to A, permute with the experts' names, and forget the order of assignments; K = 1: first choices are
 * all. */
/* evidence properties: B.1 B.2 */
START_TEST(load_counts_every_assignment_once)
{
    enum { T = 20, K = 3, N = 6 };
    const size_t rename[N] = {3, 0, 5, 1, 2, 4};
    size_t index[T * K], renamed[T * K], backwards[T * K], c[N], d[N], e[N], first[N], sum = 0, sum_first = 0;
    uint64_t seed = 3;
    for (size_t a = 0; a < T * K; a++) {
        index[a] = (size_t)(3 + 2.99 * slopes_draw(&seed));
        renamed[a] = rename[index[a]];
        backwards[T * K - 1 - a] = index[a];
    }
    OK(smoe_expert_load(T * K, N, index, c));
    OK(smoe_expert_load(T * K, N, renamed, d));
    OK(smoe_expert_load(T * K, N, backwards, e));
    OK(smoe_expert_load_first(T * K, K, N, index, first));
    double f[N], total = 0;
    OK(smoe_load_fraction(T * K, N, c, f));
    for (size_t i = 0; i < N; i++) {
        ck_assert_msg(d[rename[i]] == c[i], "B.1: expert %zu renamed has %zu, not %zu", i, d[rename[i]], c[i]);
        ck_assert_msg(e[i] == c[i], "B.1: the order of assignments changed the count of %zu", i);
        sum += c[i];
        sum_first += first[i];
        total += f[i];
    }
    ck_assert_msg(sum == T * K && sum_first == T, "B.1: %zu and %zu counted, not %d and %d", sum, sum_first, T * K, T);
    ck_assert_msg(near(total, 1, 8), "B.2: fractions sum to %.17g", total);
    OK(smoe_expert_load(T, N, index, c));
    OK(smoe_expert_load_first(T, 1, N, index, d));
    ck_assert_msg(memcmp(c, d, sizeof c) == 0, "B.1: with K = 1 first choices are all choices");
    OK(smoe_expert_load(0, N, index, c));
    OK(smoe_expert_load_first(0, 2, N, index, d));
    for (size_t i = 0; i < N; i++) ck_assert_msg(c[i] == 0 && d[i] == 0, "B.1: no tokens, yet expert %zu has some", i);
}
END_TEST

static void swap_experts(size_t rows, size_t N, const double *x, double *y)
{
    for (size_t t = 0; t < rows; t++)
        for (size_t i = 0; i < N; i++) y[t * N + i] = x[t * N + (N - 1 - i)];
}

/* Loss and gradient under: experts renamed, tokens reordered, a constant added to every logit of a token (quarters
 * and a whole number: exact, so the same bits).  The gradient of a token sums to 0. */
/* evidence properties: B.3 B.4 */
START_TEST(switch_loss_symmetries)
{
    enum { T = 8, N = 5 };
    double z[T * N], y[T * N], f[N], g[N], p[T * N], P[N], Q[N], work[N], none[N] = {0}, dz[T * N], dy[T * N];
    double loss, other;
    uint64_t seed = 5;
    for (size_t k = 0; k < T * N; k++) z[k] = floor(16 * slopes_draw(&seed)) / 4;
    for (size_t i = 0; i < N; i++) f[i] = (double)(i + 1) / 15;
    OK(smoe_balance_loss(1, T, N, z, f, p, P, &loss));
    OK(smoe_balance_loss_vjp(1, T, N, f, p, 1, none, work, dz));
    for (size_t t = 0; t < T; t++) {
        double sum = 0;
        for (size_t i = 0; i < N; i++) sum += dz[t * N + i];
        ck_assert_msg(fabs(sum) <= 0x1p-52, "B.4: the gradient of token %zu sums to %.1e", t, sum);
    }

    for (size_t k = 0; k < T * N; k++) y[k] = z[k] + (double)(3 * (k / N)) - 7;
    OK(smoe_balance_loss(1, T, N, y, f, p, Q, &other));
    ck_assert_msg(other == loss && memcmp(P, Q, sizeof P) == 0, "B.4: a constant added to a token's logits changed it");

    swap_experts(T, N, z, y);
    swap_experts(1, N, f, g);
    OK(smoe_balance_loss(1, T, N, y, g, p, Q, &other));
    OK(smoe_balance_loss_vjp(1, T, N, g, p, 1, none, work, dy));
    ck_assert_msg(near(other, loss, 8), "B.4: experts renamed: %.17g, before %.17g", other, loss);
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++)
            ck_assert_msg(fabs(dy[t * N + i] - dz[t * N + N - 1 - i]) <= 0x1p-50, "B.4: dz of expert %zu", i);

    for (size_t t = 0; t < T; t++) memcpy(y + t * N, z + (T - 1 - t) * N, N * sizeof *z);
    OK(smoe_balance_loss(1, T, N, y, f, p, Q, &other));
    OK(smoe_balance_loss_vjp(1, T, N, f, p, 1, none, work, dy));
    ck_assert_msg(near(other, loss, 8), "B.4: tokens reordered: %.17g, before %.17g", other, loss);
    for (size_t t = 0; t < T; t++)
        ck_assert_msg(memcmp(dy + t * N, dz + (T - 1 - t) * N, N * sizeof *dz) == 0, "B.4: dz of token %zu", t);
}
END_TEST

/* L = 1 if f or P is uniform, whatever the other is; L <= N/K for f that K different choices can give; and not L >=
 * 1. */
/* evidence properties: B.4 */
START_TEST(switch_loss_range)
{
    enum { N = 8 };
    const double uniform[N] = {0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125};
    uint64_t seed = 9;
    double least = 2;
    for (int round = 0; round < 200; round++) {
        const size_t K = 1 + (size_t)round % 4, T = 5;
        double z[5 * N], p[5 * N], P[N], f[N], loss, value[N], margin;
        size_t index[20], count[N];
        slopes_fill(&seed, 3.0, T * N, z);
        for (size_t t = 0; t < T; t++) OK(smoe_topk(N, K, z + t * N, index + t * K, value, &margin));
        OK(smoe_expert_load(T * K, N, index, count));
        OK(smoe_load_fraction(T * K, N, count, f));
        OK(smoe_balance_loss(1, T, N, z, f, p, P, &loss));
        ck_assert_msg(loss > 0 && loss <= (double)N / (double)K * (1 + 0x1p-48), "B.4: %.17g is not in (0, N/K]", loss);
        least = fmin(least, loss);
        OK(smoe_switch_loss(N, uniform, P, &loss));
        ck_assert_msg(near(loss, 1, 8), "B.4: f uniform: %.17g", loss);
        OK(smoe_switch_loss(N, f, uniform, &loss));
        ck_assert_msg(near(loss, 1, 8), "B.4: P uniform: %.17g", loss);
    }
    ck_assert_msg(least > 0.4 && least < 3, "the draws are not what this test was written for: least loss %.3f", least);
}
END_TEST

/* One sequence is the batch, bit for bit, forward and gradient; the order of sequences does not matter; sequences
 * that are all alike have the loss of one. */
/* evidence properties: B.5 */
START_TEST(sequences_and_batch)
{
    enum { B = 3, S = 4, N = 4 };
    double z[B * S * N], y[B * S * N], f[B * N], g[B * N], p[B * S * N], P[B * N], loss, other, work[N],
        none[B * N] = {0};
    double dz[B * S * N], dP[N], one[N], dy[S * N];
    uint64_t seed = 21;
    slopes_fill(&seed, 2.0, B * S * N, z);
    for (size_t k = 0; k < B * N; k++) f[k] = (double)(1 + (5 * k) % 7) / 8;
    OK(smoe_balance_loss(1, S, N, z, f, p, P, &loss));
    OK(smoe_switch_loss(N, f, P, &other));
    ck_assert_msg(loss == other, "B.5 with B = 1 is %a, B.4 is %a", loss, other);
    OK(smoe_switch_loss_vjp(N, f, 0.7, dP));
    OK(smoe_switch_loss_sequences_vjp(1, N, f, 0.7, one));
    SAME(one, dP, N, "B.5' with B = 1 against B.4': dP");
    OK(smoe_balance_loss_vjp(1, S, N, f, p, 0.7, none, work, dz));
    OK(smoe_balance_loss_vjp(1, S, N, none, p, 0, dP, work, dy)); /* the loss's cotangent, or the same through dP */
    SAME(dy, dz, S * N, "B.4' by dloss against by dP: dz");

    OK(smoe_balance_loss(B, S, N, z, f, p, P, &loss));
    for (size_t b = 0; b < B; b++) {
        memcpy(y + b * S * N, z + (B - 1 - b) * S * N, S * N * sizeof *z);
        memcpy(g + b * N, f + (B - 1 - b) * N, N * sizeof *f);
    }
    OK(smoe_balance_loss(B, S, N, y, g, p, P, &other));
    ck_assert_msg(near(other, loss, 4), "B.5: sequences reordered: %.17g, before %.17g", other, loss);

    for (size_t b = 0; b < B; b++) {
        memcpy(y + b * S * N, z, S * N * sizeof *z);
        memcpy(g + b * N, f, N * sizeof *f);
    }
    OK(smoe_balance_loss(1, S, N, z, f, p, P, &loss));
    OK(smoe_balance_loss(B, S, N, y, g, p, P, &other));
    ck_assert_msg(near(other, loss, 2), "B.5: three times the same sequence: %.17g, one: %.17g", other, loss);
}
END_TEST

/* Never negative; the gradient of a token sums to 2 lse/T; experts in another order; one expert; logits that overflow
 * exp. */
/* evidence properties: B.6 */
START_TEST(z_loss_properties)
{
    enum { T = 6, N = 5 };
    double r[T * N], y[T * N], lse[T], loss, other, dr[T * N], dy[T * N];
    uint64_t seed = 31;
    slopes_fill(&seed, 4.0, T * N, r);
    OK(smoe_z_loss(T, N, r, lse, &loss));
    OK(smoe_z_loss_vjp(T, N, r, lse, 1, dr));
    ck_assert_msg(loss >= 0, "B.6: %g is negative", loss);
    for (size_t t = 0; t < T; t++) {
        double sum = 0;
        for (size_t i = 0; i < N; i++) sum += dr[t * N + i];
        ck_assert_msg(near(sum, 2 * lse[t] / T, 8), "B.6: dr of token %zu sums to %.17g, not 2 lse/T", t, sum);
    }
    swap_experts(T, N, r, y);
    OK(smoe_z_loss(T, N, y, lse, &other));
    ck_assert_msg(near(other, loss, 8), "B.6: experts renamed: %.17g, before %.17g", other, loss);
    OK(smoe_z_loss_vjp(T, N, y, lse, 1, dy));
    for (size_t k = 0; k < T * N; k++)
        ck_assert_msg(fabs(dy[k] - dr[k / N * N + N - 1 - k % N]) <= 0x1p-48, "B.6: dr[%zu]", k);
    for (size_t k = 0; k < T * N; k++) y[k] = 1000;
    OK(smoe_z_loss(T, N, y, lse, &loss)); /* (1000 + ln 5)^2 = 10^6 + 2000 ln 5 + (ln 5)^2 */
    ck_assert_msg(near(loss, 1003221.4661152622, 16), "B.6: %.17g for logits of 1000", loss);
    OK(smoe_z_loss(T, 1, r, lse, &loss));
    double square = 0;
    for (size_t t = 0; t < T; t++) square += r[t] * r[t] / T;
    ck_assert_msg(near(loss, square, 8), "B.6 with N = 1: %.17g, the mean square is %.17g", loss, square);
}
END_TEST

/* A mask of ones is the loss without a mask, bit for bit; what padding holds does not matter; padding taken out is the
 * same as padding masked, bit for bit. */
/* evidence properties: B.7 */
START_TEST(padding_counts_nowhere)
{
    enum { T = 9, K = 2, N = 4 };
    const double mask[T] = {1, 0, 1, 1, 0, 0, 1, 1, 0}, ones[T] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    double z[T * N], y[T * N], f[N], p[T * N], P[N], loss, other, work[N], none[N] = {0}, dz[T * N], dy[T * N];
    size_t index[T * K], chosen[T * K], count[N], kept[N], first[N], groups, real = 0;
    uint64_t seed = 77;
    slopes_fill(&seed, 2.0, T * N, z);
    for (size_t a = 0; a < T * K; a++) index[a] = (a + a / 3) % N;
    OK(smoe_expert_load(T * K, N, index, count));
    OK(smoe_expert_load_masked(T, K, K, N, index, ones, kept));
    ck_assert_msg(memcmp(count, kept, sizeof count) == 0, "B.7: a mask of ones changes the counts");
    OK(smoe_expert_load_first(T * K, K, N, index, count));
    OK(smoe_expert_load_masked(T, K, 1, N, index, ones, first));
    ck_assert_msg(memcmp(count, first, sizeof count) == 0, "B.7: a mask of ones changes the counts of first choices");
    OK(smoe_load_fraction(T * K, N, kept, f));
    OK(smoe_balance_loss(1, T, N, z, f, p, P, &loss));
    OK(smoe_balance_loss_vjp(1, T, N, f, p, 0.7, none, work, dz));
    OK(smoe_balance_groups(1, T, N, z, ones, f, p, P, &groups, &other));
    OK(smoe_balance_groups_vjp(1, T, N, f, p, ones, 0.7, work, dy));
    ck_assert_msg(loss == other && groups == 1, "B.7 with a mask of ones: %a, B.4: %a", other, loss);
    SAME(dy, dz, T * N, "B.7 with a mask of ones: dz");

    for (size_t t = 0; t < T; t++) {
        if (mask[t] == 0) continue;
        memcpy(y + real * N, z + t * N, N * sizeof *z);
        memcpy(chosen + real * K, index + t * K, K * sizeof *index);
        real++;
    }
    OK(smoe_expert_load(real * K, N, chosen, count));
    for (size_t t = 0; t < T; t++)
        if (mask[t] == 0) index[t * K] = index[t * K + 1] = 1000; /* padding's choices are not looked at */
    OK(smoe_expert_load_masked(T, K, K, N, index, mask, kept));
    ck_assert_msg(memcmp(count, kept, sizeof count) == 0, "B.7: masked and removed padding give other counts");
    OK(smoe_load_fraction(real * K, N, kept, f));
    OK(smoe_balance_loss(1, real, N, y, f, p, P, &loss));
    OK(smoe_balance_loss_vjp(1, real, N, f, p, 0.7, none, work, dy));
    OK(smoe_balance_groups(1, T, N, z, mask, f, p, P, &groups, &other));
    OK(smoe_balance_groups_vjp(1, T, N, f, p, mask, 0.7, work, dz));
    ck_assert_msg(loss == other, "B.7: padding masked %a, taken out %a", other, loss);
    real = 0;
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) {
            const double want = mask[t] == 1 ? dy[real * N + i] : 0;
            ck_assert_msg(dz[t * N + i] == want, "B.7: dz[%zu] is %a, without padding %a", t, dz[t * N + i], want);
            real += mask[t] == 1 && i + 1 == N;
        }

    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N && mask[t] == 0; i++) z[t * N + i] = 50.0 * (double)i;
    OK(smoe_balance_groups(1, T, N, z, mask, f, p, P, &groups, &loss));
    ck_assert_msg(loss == other, "B.7: padding's scores matter: %a, before %a", loss, other);
}
END_TEST

/* A capacity that nobody exceeds changes nothing, what is counted grows with it, and it is never more than asked. */
/* evidence properties: B.8 */
START_TEST(capacity_only_takes_away)
{
    const size_t before[5] = {7, 0, 3, 12, 1};
    size_t last = 0;
    for (size_t capacity = 0; capacity <= 13; capacity++) {
        size_t count[5], sum = 0;
        memcpy(count, before, sizeof count);
        smoe_load_kept(5, capacity, count);
        for (size_t i = 0; i < 5; i++) {
            ck_assert_msg(count[i] <= before[i] && count[i] <= capacity, "B.8: %zu of %zu", count[i], before[i]);
            ck_assert_msg(count[i] == before[i] || count[i] == capacity, "B.8: %zu is neither", count[i]);
            sum += count[i];
        }
        ck_assert_msg(sum >= last, "B.8: fewer are kept where more may be");
        last = sum;
    }
    ck_assert_msg(last == 23, "B.8: a capacity above all counts takes something away");
}
END_TEST

/* All logits equal: everything uniform, loss 1 exactly for N = 4; an expert without tokens; N = 1; T = 1. */
/* evidence properties: B.3 B.4 B.5 */
START_TEST(corner_cases)
{
    double z[16], f[4] = {0.5, 0.5, 0, 0}, p[16], P[4], loss, work[4], none[4] = {0}, dz[16];
    for (size_t k = 0; k < 16; k++) z[k] = -3.7;
    OK(smoe_balance_loss(1, 4, 4, z, f, p, P, &loss));
    ck_assert_msg(loss == 1, "B.4: equal logits give %a", loss);
    OK(smoe_balance_loss_vjp(1, 4, 4, f, p, 1, none, work, dz)); /* dp = (1/2,1/2,0,0), mean 1/4: dz = 1/4 (+-1/4) */
    for (size_t k = 0; k < 16; k++)
        ck_assert_msg(dz[k] == (k % 4 < 2 ? 0.0625 : -0.0625), "B.4: dz[%zu] is %a", k, dz[k]);
    f[0] = 1;
    OK(smoe_balance_loss(1, 5, 1, z, f, p, P, &loss));
    OK(smoe_balance_loss_vjp(1, 5, 1, f, p, 1, none, work, dz));
    ck_assert_msg(loss == 1 && P[0] == 1, "B.4: one expert gives %a", loss);
    for (size_t k = 0; k < 5; k++) ck_assert_msg(dz[k] == 0, "B.4: one expert has a gradient");
    f[1] = 0;
    z[0] = -0.0, z[1] = 0, z[2] = 0x1p-1074, z[3] = -0x1p-1074; /* signed zeros and subnormals: as good as 0 */
    OK(smoe_balance_loss(1, 1, 4, z, f, p, P, &loss));
    ck_assert_msg(loss == 1 && P[0] == 0.25, "B.4: signed zeros and subnormals give %a", loss);
}
END_TEST

/* --- errors --- */

START_TEST(load_errors)
{
    const size_t index[] = {0, 1, 7, 0, 1, 2};
    size_t count[3] = {77, 77, 77};
    double f[3];
    ck_assert_int_eq(smoe_expert_load(6, 3, index, count), SMOE_EDOM);
    ck_assert_int_eq(smoe_expert_load(1, 0, index, count), SMOE_EDOM);
    ck_assert_int_eq(smoe_expert_load_first(6, 2, 3, index, count), SMOE_EDOM);
    ck_assert_int_eq(smoe_expert_load_first(6, 0, 3, index, count), SMOE_EINVAL);
    for (size_t i = 0; i < 3; i++) ck_assert_msg(count[i] == 77, "B.1: a count was written in spite of an error");
    OK(smoe_expert_load_first(6, 3, 3, index, count)); /* the 7 is a third choice here */
    poison_all(3, f);
    ck_assert_int_eq(smoe_load_fraction(0, 3, count, f), SMOE_EINVAL);
    ck_assert_int_eq(smoe_load_fraction(1, 3, (size_t[]){2, 0, 0}, f), SMOE_EDOM);
    ck_assert_int_eq(smoe_load_fraction(1, 3, (size_t[]){0, 0, 2}, f), SMOE_EDOM);
    ck_assert_msg(untouched(3, f), "B.2: a fraction was written in spite of an error");
}
END_TEST

static const double bad[] = {INFINITY, -INFINITY, NAN};

START_TEST(mean_probability_errors)
{
    double p[4] = {0.5, 0.5, 0.5, 0.5}, P[2], dp[4], huge[2] = {0x1.8p1023, 0x1.8p1023};
    poison_all(2, P), poison_all(4, dp);
    ck_assert_int_eq(smoe_mean_probability(0, 2, p, P), SMOE_EINVAL);
    ck_assert_int_eq(smoe_mean_probability(2, 0, p, P), SMOE_EINVAL);
    ck_assert_int_eq(smoe_mean_probability_vjp(0, 2, p, dp), SMOE_EINVAL);
    ck_assert_int_eq(smoe_mean_probability_vjp(2, 0, p, dp), SMOE_EINVAL);
    p[1] = bad[_i];
    ck_assert_int_eq(smoe_mean_probability(2, 2, p, P), SMOE_EDOM);
    ck_assert_int_eq(smoe_mean_probability_vjp(2, 2, p, dp), SMOE_EDOM);
    ck_assert_msg(untouched(2, P) && untouched(4, dp), "B.3 wrote in spite of an error");
    ck_assert_int_eq(smoe_mean_probability(2, 1, huge, P), SMOE_EOVRFLW);
}
END_TEST

START_TEST(switch_errors)
{
    double f[4] = {0.5, 0.5, 0.5, 0.5}, P[4] = {0.5, 0.5, 0.5, 0.5}, loss, dP[4], huge[2] = {0x1.8p1023, 0x1.8p1023};
    poison_all(1, &loss), poison_all(4, dP);
    ck_assert_int_eq(smoe_switch_loss(0, f, P, &loss), SMOE_EINVAL);
    ck_assert_int_eq(smoe_switch_loss_vjp(0, f, 1, dP), SMOE_EINVAL);
    ck_assert_int_eq(smoe_switch_loss_sequences(0, 2, f, P, &loss), SMOE_EINVAL);
    ck_assert_int_eq(smoe_switch_loss_sequences(2, 0, f, P, &loss), SMOE_EINVAL);
    ck_assert_int_eq(smoe_switch_loss_sequences_vjp(0, 2, f, 1, dP), SMOE_EINVAL);
    ck_assert_int_eq(smoe_switch_loss_sequences_vjp(2, 0, f, 1, dP), SMOE_EINVAL);
    ck_assert_int_eq(smoe_switch_loss_vjp(2, f, bad[_i], dP), SMOE_EDOM);
    ck_assert_int_eq(smoe_switch_loss_sequences_vjp(2, 2, f, bad[_i], dP), SMOE_EDOM);
    P[1] = bad[_i];
    ck_assert_int_eq(smoe_switch_loss(2, f, P, &loss), SMOE_EDOM);
    ck_assert_int_eq(smoe_switch_loss(2, P, f, &loss), SMOE_EDOM);
    ck_assert_int_eq(smoe_switch_loss_vjp(2, P, 1, dP), SMOE_EDOM);
    ck_assert_int_eq(smoe_switch_loss_sequences(2, 2, f, P, &loss), SMOE_EDOM);
    ck_assert_int_eq(smoe_switch_loss_sequences(2, 2, P, f, &loss), SMOE_EDOM);
    ck_assert_int_eq(smoe_switch_loss_sequences_vjp(2, 2, P, 1, dP), SMOE_EDOM);
    ck_assert_msg(untouched(1, &loss) && untouched(4, dP), "B.4 or B.5 wrote in spite of an error");
    ck_assert_int_eq(smoe_switch_loss(2, f, huge, &loss), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_switch_loss_vjp(2, f, 0x1.8p1023, dP), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_switch_loss_sequences(1, 2, f, huge, &loss), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_switch_loss_sequences_vjp(1, 2, f, 0x1.8p1023, dP), SMOE_EOVRFLW);
}
END_TEST

START_TEST(balance_loss_errors)
{
    double z[4] = {1, 2, 3, 4}, f[2] = {0.5, 0.5}, none[2] = {0, 0}, spoilt[4] = {1, bad[_i], 3, 4},
           last[4] = {1, 2, 3, bad[_i]};
    double p[4], P[2], loss, work[2], dz[4];
    const double q[4] = {0.5, 0.5, 0.25, 0.75};
    poison_all(4, p), poison_all(2, P), poison_all(1, &loss), poison_all(4, dz);
    ck_assert_int_eq(smoe_balance_loss(0, 2, 2, z, f, p, P, &loss), SMOE_EINVAL);
    ck_assert_int_eq(smoe_balance_loss(1, 0, 2, z, f, p, P, &loss), SMOE_EINVAL);
    ck_assert_int_eq(smoe_balance_loss(1, 2, 0, z, f, p, P, &loss), SMOE_EINVAL);
    ck_assert_int_eq(smoe_balance_loss(1, 2, 2, spoilt, f, p, P, &loss), SMOE_EDOM);
    ck_assert_int_eq(smoe_balance_loss(1, 2, 2, last, f, p, P, &loss), SMOE_EDOM);
    ck_assert_int_eq(smoe_balance_loss(2, 1, 2, z, last, p, P, &loss), SMOE_EDOM);
    ck_assert_int_eq(smoe_balance_loss(1, 2, 2, z, spoilt, p, P, &loss), SMOE_EDOM);
    ck_assert_int_eq(smoe_balance_loss_vjp(0, 2, 2, f, q, 1, none, work, dz), SMOE_EINVAL);
    ck_assert_int_eq(smoe_balance_loss_vjp(1, 0, 2, f, q, 1, none, work, dz), SMOE_EINVAL);
    ck_assert_int_eq(smoe_balance_loss_vjp(1, 2, 0, f, q, 1, none, work, dz), SMOE_EINVAL);
    ck_assert_int_eq(smoe_balance_loss_vjp(1, 2, 2, spoilt, q, 1, none, work, dz), SMOE_EDOM);
    ck_assert_int_eq(smoe_balance_loss_vjp(1, 2, 2, f, spoilt, 1, none, work, dz), SMOE_EDOM);
    ck_assert_int_eq(smoe_balance_loss_vjp(1, 2, 2, f, last, 1, none, work, dz), SMOE_EDOM);
    ck_assert_int_eq(smoe_balance_loss_vjp(2, 1, 2, last, q, 1, q, work, dz), SMOE_EDOM);
    ck_assert_int_eq(smoe_balance_loss_vjp(2, 1, 2, q, q, 1, last, work, dz), SMOE_EDOM);
    ck_assert_int_eq(smoe_balance_loss_vjp(1, 2, 2, f, q, bad[_i], none, work, dz), SMOE_EDOM);
    ck_assert_int_eq(smoe_balance_loss_vjp(1, 2, 2, f, q, 1, spoilt, work, dz), SMOE_EDOM);
    ck_assert_msg(untouched(4, p) && untouched(2, P) && untouched(1, &loss) && untouched(4, dz),
                  "B.4 on scores wrote in spite of an error");
    const double huge[2] = {0x1.8p1023, 0x1.8p1023};
    ck_assert_int_eq(smoe_balance_loss(1, 2, 2, z, huge, p, P, &loss), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_balance_loss_vjp(1, 2, 2, f, q, 0x1.8p1023, huge, work, dz), SMOE_EOVRFLW);
    /* a total dP that is finite and a difference inside the softmax's gradient that is not */
    const double apart[2] = {0x1.fp1023, -0x1.fp1023};
    ck_assert_int_eq(smoe_balance_loss_vjp(1, 1, 2, none, q + 2, 0, apart, work, dz), SMOE_EOVRFLW);
}
END_TEST

START_TEST(padding_errors)
{
    double z[8] = {1, 2, 3, 4, 5, 6, 7, 8}, f[4] = {0.5, 0.5, 0.5, 0.5}, p[8], P[4], sum, work[2], dz[8];
    const double q[8] = {0.5, 0.5, 0.25, 0.75, 0.5, 0.5, 0.25, 0.75}, none[4] = {0, 0, 0, 0};
    const double spoilt[4] = {1, 0, 1, bad[_i]}, half[4] = {1, 0.5, 1, 1}, mask[4] = {1, 0, 0, 1};
    const double huge[2] = {1e308, 1e308};
    const double last[8] = {1, 2, 3, 4, 5, 6, 7, bad[_i]};
    const size_t index[8] = {0, 1, 5, 5, 1, 0, 1, 5};
    size_t real = 77, groups = 77, count[2] = {77, 77};
    poison_all(8, p), poison_all(4, P), poison_all(1, &sum), poison_all(8, dz);
    ck_assert_int_eq(smoe_real_tokens(4, spoilt, &real), SMOE_EDOM);
    ck_assert_int_eq(smoe_real_tokens(4, half, &real), SMOE_EDOM);
    ck_assert_int_eq(smoe_expert_load_masked(4, 2, 3, 2, index, mask, count), SMOE_EINVAL);
    ck_assert_int_eq(smoe_expert_load_masked(4, 2, 2, 2, index, mask, count), SMOE_EDOM);
    ck_assert_int_eq(smoe_expert_load_masked(4, 2, 2, 2, index, half, count), SMOE_EDOM);
    ck_assert_int_eq(smoe_mean_probability_masked(0, 2, q, mask, P), SMOE_EINVAL);
    ck_assert_int_eq(smoe_mean_probability_masked(4, 0, q, mask, P), SMOE_EINVAL);
    ck_assert_int_eq(smoe_mean_probability_masked(4, 2, q, half, P), SMOE_EDOM);
    ck_assert_int_eq(smoe_mean_probability_masked(4, 2, q, none, P), SMOE_EDOM);
    ck_assert_int_eq(smoe_mean_probability_masked(4, 2, last, mask, P), SMOE_EDOM);
    ck_assert_int_eq(smoe_balance_groups(0, 2, 2, z, mask, f, p, P, &groups, &sum), SMOE_EINVAL);
    ck_assert_int_eq(smoe_balance_groups(2, 0, 2, z, mask, f, p, P, &groups, &sum), SMOE_EINVAL);
    ck_assert_int_eq(smoe_balance_groups(2, 2, 0, z, mask, f, p, P, &groups, &sum), SMOE_EINVAL);
    ck_assert_int_eq(smoe_balance_groups(2, 2, 2, last, mask, f, p, P, &groups, &sum), SMOE_EDOM);
    ck_assert_int_eq(smoe_balance_groups(2, 2, 2, z, mask, spoilt, p, P, &groups, &sum), SMOE_EDOM);
    ck_assert_int_eq(smoe_balance_groups(2, 2, 2, z, half, f, p, P, &groups, &sum), SMOE_EDOM);
    ck_assert_int_eq(smoe_balance_groups(2, 2, 2, z, none, f, p, P, &groups, &sum), SMOE_EDOM);
    ck_assert_int_eq(smoe_balance_groups_vjp(0, 2, 2, f, q, mask, 1, work, dz), SMOE_EINVAL);
    ck_assert_int_eq(smoe_balance_groups_vjp(2, 0, 2, f, q, mask, 1, work, dz), SMOE_EINVAL);
    ck_assert_int_eq(smoe_balance_groups_vjp(2, 2, 0, f, q, mask, 1, work, dz), SMOE_EINVAL);
    ck_assert_int_eq(smoe_balance_groups_vjp(2, 2, 2, spoilt, q, mask, 1, work, dz), SMOE_EDOM);
    ck_assert_int_eq(smoe_balance_groups_vjp(2, 2, 2, f, last, mask, 1, work, dz), SMOE_EDOM);
    ck_assert_int_eq(smoe_balance_groups_vjp(2, 2, 2, f, q, mask, bad[_i], work, dz), SMOE_EDOM);
    ck_assert_int_eq(smoe_balance_groups_vjp(2, 2, 2, f, q, half, 1, work, dz), SMOE_EDOM);
    ck_assert_msg(untouched(8, p) && untouched(4, P) && untouched(1, &sum) && untouched(8, dz) && real == 77 &&
                      groups == 77 && count[0] == 77 && count[1] == 77,
                  "B.7 wrote in spite of an error");
    OK(smoe_expert_load_masked(4, 2, 1, 2, index, mask, count)); /* the 5 is a second choice here, or padding's */
    ck_assert_int_eq(smoe_balance_groups(1, 2, 2, z, mask, huge, p, P, &groups, &sum), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_balance_groups_vjp(1, 2, 2, huge, q, mask, 10, work, dz), SMOE_EOVRFLW);
}
END_TEST

START_TEST(z_loss_errors)
{
    double r[4] = {1, 2, 3, 4}, lse[2], loss, dr[4], huge[2] = {0x1p1000, 0x1p1000};
    const double kept[2] = {2.3, 4.3}, spoilt[2] = {1, bad[_i]}, last[4] = {1, 2, 3, bad[_i]};
    poison_all(2, lse), poison_all(1, &loss), poison_all(4, dr);
    ck_assert_int_eq(smoe_z_loss(0, 2, r, lse, &loss), SMOE_EINVAL);
    ck_assert_int_eq(smoe_z_loss(2, 0, r, lse, &loss), SMOE_EINVAL);
    ck_assert_int_eq(smoe_z_loss_vjp(0, 2, r, kept, 1, dr), SMOE_EINVAL);
    ck_assert_int_eq(smoe_z_loss_vjp(2, 0, r, kept, 1, dr), SMOE_EINVAL);
    ck_assert_int_eq(smoe_z_loss(1, 2, spoilt, lse, &loss), SMOE_EDOM);
    ck_assert_int_eq(smoe_z_loss_vjp(1, 2, spoilt, kept, 1, dr), SMOE_EDOM);
    ck_assert_int_eq(smoe_z_loss(2, 2, last, lse, &loss), SMOE_EDOM);
    ck_assert_int_eq(smoe_z_loss_vjp(2, 2, last, kept, 1, dr), SMOE_EDOM);
    ck_assert_int_eq(smoe_z_loss_vjp(2, 2, r, spoilt, 1, dr), SMOE_EDOM);
    ck_assert_int_eq(smoe_z_loss_vjp(2, 2, r, kept, bad[_i], dr), SMOE_EDOM);
    ck_assert_msg(untouched(2, lse) && untouched(1, &loss) && untouched(4, dr), "B.6 wrote in spite of an error");
    ck_assert_int_eq(smoe_z_loss(1, 2, huge, lse, &loss), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_z_loss_vjp(1, 2, huge, lse, 0x1p100, dr), SMOE_EOVRFLW);
    /* finite dlse, infinite dlse exp(r - lse): only for an lse that is not the forward's */
    ck_assert_int_eq(smoe_z_loss_vjp(1, 1, (double[]){700}, (double[]){1}, 0x1p1000, dr), SMOE_EOVRFLW);
}
END_TEST

/* The last number of one output is beyond the format, and no other number is. */
START_TEST(overflow_of_the_last_number)
{
    const size_t B = _i ? 5 : 2, S = 3, N = _i ? 2 : 4, T = _i ? 5 : 3;
    const double big = LONE_BIG, ones[] = {1, 0, 1, 1, 1};
    double *out = zeros(), *work = zeros(), *p = lone(T * N, LONE_TOP);
    p[N - 1] = LONE_TOP;
    LONE_OVERFLOW(smoe_mean_probability(T, N, p, out));
    LONE_OVERFLOW(smoe_mean_probability_masked(T, N, p, ones, out));
    LONE_OVERFLOW(smoe_switch_loss_vjp(N, lone(N, big), big, out));
    LONE_OVERFLOW(smoe_switch_loss_sequences_vjp(B, N, lone(B * N, big), big, out));
    LONE_OVERFLOW(smoe_balance_loss_vjp(B, S, N, lone(B * N, big), zeros(), big, zeros(), work, out));
    LONE_OVERFLOW(smoe_z_loss_vjp(T, N, zeros(), lone(T, big), big, out));
    LONE_OVERFLOW(smoe_balance_groups_vjp(1, T, N, lone(N, big), zeros(), ones, big, work, out));
}
END_TEST

/* Sizes are looked at before values. */
START_TEST(sizes_of_no_numbers)
{
    const double none[2] = {NAN, NAN};
    size_t groups = 77;
    double p[2], P[2], loss, work[2], dz[2], sum;
    poison_all(2, p), poison_all(2, P), poison_all(1, &loss), poison_all(2, dz), poison_all(1, &sum);
    for (size_t zero = 0; zero < 3; zero++) {
        const size_t B = zero != 0, S = zero != 1, N = zero != 2;
        ck_assert_int_eq(smoe_balance_loss(B, S, N, none, none, p, P, &loss), SMOE_EINVAL);
        ck_assert_int_eq(smoe_balance_loss_vjp(B, S, N, none, none, NAN, none, work, dz), SMOE_EINVAL);
        ck_assert_int_eq(smoe_balance_groups(B, S, N, none, none, none, p, P, &groups, &sum), SMOE_EINVAL);
        ck_assert_int_eq(smoe_balance_groups_vjp(B, S, N, none, none, none, NAN, work, dz), SMOE_EINVAL);
        if (zero == 2) continue;
        ck_assert_int_eq(smoe_mean_probability(B, S, none, P), SMOE_EINVAL);
        ck_assert_int_eq(smoe_mean_probability_vjp(B, S, none, p), SMOE_EINVAL);
        ck_assert_int_eq(smoe_mean_probability_masked(B, S, none, none, P), SMOE_EINVAL);
        ck_assert_int_eq(smoe_switch_loss_sequences(B, S, none, none, &loss), SMOE_EINVAL);
        ck_assert_int_eq(smoe_switch_loss_sequences_vjp(B, S, none, NAN, p), SMOE_EINVAL);
        ck_assert_int_eq(smoe_z_loss(B, S, none, p, &loss), SMOE_EINVAL);
        ck_assert_int_eq(smoe_z_loss_vjp(B, S, none, none, NAN, p), SMOE_EINVAL);
        ck_assert_int_eq(smoe_mean_softmax(B, S, none, p, P), SMOE_EINVAL);
        ck_assert_int_eq(smoe_mean_softmax_vjp(B, S, none, none, work, p), SMOE_EINVAL);
    }
    ck_assert_int_eq(smoe_switch_loss(0, none, none, &loss), SMOE_EINVAL);
    ck_assert_int_eq(smoe_switch_loss_vjp(0, none, NAN, p), SMOE_EINVAL);
    ck_assert_msg(untouched(2, p) && untouched(2, P) && untouched(1, &loss) && untouched(2, dz) && untouched(1, &sum) &&
                      groups == 77,
                  "refused, but something was written");
}
END_TEST

/* The last number of one input is none. */
START_TEST(the_last_number_is_refused)
{
    const size_t B = _i ? 4 : 2, S = 3, N = _i ? 2 : 5, T = _i ? 5 : 3;
    double *a = zeros(), *b = zeros(), *c = zeros(), number, *real = zeros();
    size_t groups;
    for (size_t t = 0; t < B * S; t++) real[t] = 1;
    for (int bad_one = 0; bad_one < 3; bad_one++) {
#define LAST(i, n) lone(n, bad_one == (i) ? NAN : 0)
        LONE_REFUSED(smoe_balance_loss_vjp(B, S, N, LAST(0, B * N), LAST(1, B * S * N), 1, LAST(2, B * N), a, b));
        if (bad_one == 2) continue;
        LONE_REFUSED(smoe_switch_loss(N, LAST(0, N), LAST(1, N), &number));
        LONE_REFUSED(smoe_switch_loss_sequences(B, N, LAST(0, B * N), LAST(1, B * N), &number));
        LONE_REFUSED(smoe_balance_loss(B, S, N, LAST(0, B * S * N), LAST(1, B * N), a, b, &number));
        LONE_REFUSED(smoe_balance_groups(B, S, N, LAST(0, B * S * N), real, LAST(1, B * N), a, b, &groups, &number));
        LONE_REFUSED(smoe_balance_groups_vjp(B, S, N, LAST(0, B * N), LAST(1, B * S * N), real, 1, a, b));
        LONE_REFUSED(smoe_z_loss_vjp(T, N, LAST(0, T * N), LAST(1, T), 1, a));
        LONE_REFUSED(smoe_mean_softmax_vjp(T, N, LAST(0, T * N), LAST(1, N), a, b));
#undef LAST
    }
    LONE_REFUSED(smoe_mean_probability(T, N, lone(T * N, NAN), a));
    LONE_REFUSED(smoe_mean_probability_vjp(T, N, lone(N, NAN), a));
    LONE_REFUSED(smoe_mean_probability_masked(T, N, lone(T * N, NAN), real, a));
    LONE_REFUSED(smoe_mean_probability_masked(T, N, zeros(), lone(T, NAN), a));
    LONE_REFUSED(smoe_switch_loss_vjp(N, lone(N, NAN), 1, a));
    LONE_REFUSED(smoe_switch_loss_sequences_vjp(B, N, lone(B * N, NAN), 1, a));
    LONE_REFUSED(smoe_z_loss(T, N, lone(T * N, NAN), a, &number));
    LONE_REFUSED(smoe_mean_softmax(T, N, lone(T * N, NAN), a, c));
    real[B * S - 1] = 0.5;
    LONE_REFUSED(smoe_balance_groups(B, S, N, zeros(), real, zeros(), a, b, &groups, &number));
    LONE_REFUSED(smoe_balance_groups_vjp(B, S, N, zeros(), zeros(), real, 1, a, b));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("balance");
    TCase *hand = tcase_create("by hand"), *slope = tcase_create("gradients"), *property = tcase_create("properties");
    TCase *error = tcase_create("errors");
    tcase_add_test(hand, load_by_hand);
    tcase_add_test(hand, fraction_by_hand);
    tcase_add_test(hand, mean_probability_by_hand);
    tcase_add_test(hand, seven_eighths);
    tcase_add_test(hand, seven_eighths_from_logits);
    tcase_add_test(hand, opposite_collapses_do_not_cancel);
    tcase_add_test(hand, sequences_by_hand);
    tcase_add_test(hand, z_loss_by_hand);
    tcase_add_test(hand, padding_by_hand);
    tcase_add_test(hand, padded_groups_by_hand);
    tcase_add_test(hand, capacity_by_hand);
    tcase_add_loop_test(slope, gradient_is_the_slope, 0, LOSSES);
    tcase_add_loop_test(slope, a_wrong_gradient_is_seen, 0, LOSSES);
    tcase_add_test(property, load_counts_every_assignment_once);
    tcase_add_test(property, switch_loss_symmetries);
    tcase_add_test(property, switch_loss_range);
    tcase_add_test(property, sequences_and_batch);
    tcase_add_test(property, z_loss_properties);
    tcase_add_test(property, padding_counts_nowhere);
    tcase_add_test(property, capacity_only_takes_away);
    tcase_add_test(property, corner_cases);
    tcase_add_test(error, load_errors);
    tcase_add_loop_test(error, mean_probability_errors, 0, 3);
    tcase_add_loop_test(error, switch_errors, 0, 3);
    tcase_add_loop_test(error, balance_loss_errors, 0, 3);
    tcase_add_loop_test(error, padding_errors, 0, 3);
    tcase_add_loop_test(error, z_loss_errors, 0, 3);
    tcase_add_loop_test(error, overflow_of_the_last_number, 0, 2);
    tcase_add_loop_test(error, the_last_number_is_refused, 0, 2);
    tcase_add_test(error, sizes_of_no_numbers);
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
