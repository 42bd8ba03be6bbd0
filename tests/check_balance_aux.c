/* Balancing losses, spec/04-balance.md, B.9 to B.17: hand-computed values, gradients by two methods, properties, errors. */
#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "balance.h"
#include "lone.h"
#include "op.h"
#include "slopes.h"

/* Within `ulps` units of the last place of `want`; false for NaN. */
static bool near(double got, double want, double ulps) { return fabs(got - want) <= ulps * 0x1p-52 * fabs(want); }

#define SAME(got, want, n, what)                                                                                       \
    for (size_t same_k = 0; same_k < (n); same_k++)                                                                    \
    ck_assert_msg((got)[same_k] == (want)[same_k], "%s[%zu] is %a, by hand it is %a", what, same_k, (got)[same_k],     \
                  (want)[same_k])
#define NEAR(got, want, n, ulps, what)                                                                                 \
    for (size_t near_k = 0; near_k < (n); near_k++)                                                                    \
    ck_assert_msg(near((got)[near_k], (want)[near_k], ulps), "%s[%zu] is %.17g, by hand it is %.17g", what, near_k,    \
                  (got)[near_k], (want)[near_k])
#define OK(call) ck_assert_int_eq(call, SMOE_OK)

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

/* --- by hand ------------------------------------------------------------------------------------------------------ */

/* v = (1,2,3,4): m = 5/2, Var = 5/4, 1/5; unbiased 5/3 by 25/4, 4/15.  v = (1,3): 1/4 and 1/2; a = 1/4, b = 1/8:
 * dv = (-3/8, 1/8); unbiased a = 1/2, b = 1/4: (-3/4, 1/4). */
/* evidence hand: B.9 */
START_TEST(variation_by_hand)
{
    const double four[] = {1, 2, 3, 4}, two[] = {1, 3};
    double loss, dv[2];
    OK(smoe_cv_squared(4, four, 0, &loss));
    ck_assert_msg(near(loss, 0.2, 1), "B.9: %.17g, by hand 1/5", loss);
    OK(smoe_cv_squared_unbiased(4, four, 0, &loss));
    ck_assert_msg(near(loss, 4.0 / 15, 2), "B.9 unbiased: %.17g, by hand 4/15", loss);
    OK(smoe_cv_squared(2, two, 0, &loss));
    ck_assert_msg(loss == 0.25, "B.9: %a, by hand 1/4", loss);
    OK(smoe_cv_squared(2, two, 4, &loss));
    ck_assert_msg(loss == 0.125, "B.9 with epsilon 4: %a, by hand 1/8", loss);
    OK(smoe_cv_squared_unbiased(2, two, 0, &loss));
    ck_assert_msg(loss == 0.5, "B.9 unbiased: %a, by hand 1/2", loss);
    OK(smoe_cv_squared_vjp(2, two, 0, 1, dv));
    SAME(dv, ((double[]){-0.375, 0.125}), 2, "B.9 dv");
    OK(smoe_cv_squared_unbiased_vjp(2, two, 0, 1, dv));
    SAME(dv, ((double[]){-0.75, 0.25}), 2, "B.9 unbiased dv");
}
END_TEST

/* Columns of (1 2 3), (0 1 0): 1, 3, 3; each weight gets its column's gradient. */
/* evidence hand: B.9 */
START_TEST(importance_by_hand)
{
    const double g[] = {1, 2, 3, 0, 1, 0}, dv[] = {5, -1, 2};
    double v[3], dg[6];
    OK(smoe_importance(2, 3, g, v));
    SAME(v, ((double[]){1, 3, 3}), 3, "B.9 v");
    OK(smoe_importance_vjp(2, 3, dv, dg));
    SAME(dg, ((double[]){5, -1, 2, 5, -1, 2}), 6, "B.9 dg");
}
END_TEST

/* H = (3,1,0), h = (2,1,0), sigma = (1,2,3), K = 1: theta = (1,3,3), a = (1,-1,-1).  Phi(1) = 0.84134474606854294859,
 * phi(1) = 0.24197072451914334980 (tables).  dP = (1,1,1): q = phi(1) (1, 1/2, 1/3). */
/* evidence hand: B.10 */
START_TEST(load_by_hand)
{
    const double noisy[] = {3, 1, 0}, clean[] = {2, 1, 0}, std[] = {1, 2, 3}, one[] = {1, 1, 1},
                 flat = 0.24197072451914335;
    const double up = 0.84134474606854293, down = 0.15865525393145705;
    const size_t order[] = {0, 1};
    size_t work[2];
    double P[3], dclean[3], dnoisy[3], dstd[3], value[2], load[3], loss;
    OK(smoe_load_token(3, 1, order, clean, noisy, std, P));
    NEAR(P, ((double[]){up, down, down}), 3, 2, "B.10 P");
    OK(smoe_load_token_vjp(3, 1, order, clean, noisy, std, one, dclean, dnoisy, dstd));
    NEAR(dclean, ((double[]){flat, flat / 2, flat / 3}), 3, 3, "B.10 dclean");
    NEAR(dstd, ((double[]){-flat, flat / 2, flat / 3}), 3, 3, "B.10 dstd");
    NEAR(dnoisy, ((double[]){-flat * 5 / 6, -flat, 0}), 3, 4, "B.10 dnoisy");
    OK(smoe_noisy_load(1, 3, 1, clean, noisy, std, work, value, P, load));
    NEAR(load, ((double[]){up, down, down}), 3, 2, "B.10 load");
    OK(smoe_cv_squared(3, load, 0, &loss));
    ck_assert_msg(fabs(loss - 0.694333247753) < 1e-12, "B.10: %.17g, by hand 0.694333", loss);
    const double both[] = {2, 1, 0, 2, 1, 0}, noise[] = {3, 1, 0, 3, 1, 0}, stds[] = {1, 2, 3, 1, 2, 3};
    OK(smoe_noisy_load(2, 3, 1, both, noise, stds, work, value, P, load));
    NEAR(load, ((double[]){2 * up, 2 * down, 2 * down}), 3, 2, "B.10 load of two tokens");
    size_t all[4];
    double values[4];
    OK(smoe_noisy_load(2, 3, 3, both, noise, stds, all, values, P, load));
    SAME(load, ((double[]){2, 2, 2}), 3, "B.10 load with K = N");
}
END_TEST

/* f = (3/4, 1/4), m = (3/8, 5/8): 14/32, halved 7/32; times 4 it is the Switch loss, 7/8.  dm = (4/2) f. */
/* evidence hand: B.11 */
START_TEST(gshard_by_hand)
{
    const double f[] = {0.75, 0.25}, m[] = {0.375, 0.625};
    double loss, dm[2];
    OK(smoe_gshard_loss(2, f, m, &loss));
    ck_assert_msg(loss == 7.0 / 32, "B.11: %a, by hand 7/32", loss);
    OK(smoe_gshard_loss_vjp(2, f, 4, dm));
    SAME(dm, ((double[]){1.5, 0.5}), 2, "B.11 dm");
}
END_TEST

/* Two tokens s = (ln 3 / 2, 0), tau 1/2: z = (ln 3, 0), p = (3/4, 1/4), t = (1, 0): 3/2; dz = (3/16, -3/16), ds twice
 * that. */
/* evidence hand: B.12 */
START_TEST(xmoe_by_hand)
{
    const double half = 0.54930614433405489, s[] = {half, 0, half, 0}, t[] = {1, 0};
    double z[4], p[4], P[2], dP[2], dp[2], ds[4], loss;
    OK(smoe_temperature(4, s, 0.5, z));
    SAME(z, ((double[]){2 * half, 0, 2 * half, 0}), 4, "B.12 z");
    OK(smoe_mean_softmax(2, 2, z, p, P));
    OK(smoe_switch_loss(2, t, P, &loss));
    ck_assert_msg(near(loss, 1.5, 4), "B.12: %.17g, by hand 3/2", loss);
    OK(smoe_switch_loss_vjp(2, t, 1, dP));
    OK(smoe_mean_softmax_vjp(2, 2, p, dP, dp, z));
    NEAR(z, ((double[]){0.1875, -0.1875, 0.1875, -0.1875}), 4, 8, "B.12 dz");
    OK(smoe_temperature_vjp(4, 0.5, z, ds));
    NEAR(ds, ((double[]){0.375, -0.375, 0.375, -0.375}), 4, 8, "B.12 ds");
}
END_TEST

/* Counts (3,1) of 4: e = (1/2, -1/2); gates of 1/2: sums (3/2, 1/2), loss 1/2; sigmoid'(0) = 1/4. */
/* evidence hand: B.13 */
START_TEST(stable_by_hand)
{
    const size_t count[] = {3, 1}, choice[] = {0, 0, 0, 1}, idle[] = {4, 0};
    const double s[] = {0, -1, 0, -1, 0, -1, -1, 0};
    double e[2], g[2], loss, ds[8];
    OK(smoe_excess(4, 2, count, e));
    SAME(e, ((double[]){0.5, -0.5}), 2, "B.13 e");
    OK(smoe_stable_loss(4, 2, s, choice, e, 1, g, &loss));
    SAME(g, ((double[]){1.5, 0.5}), 2, "B.13 g");
    ck_assert_msg(loss == 0.5, "B.13: %a, by hand 1/2", loss);
    OK(smoe_stable_loss_vjp(4, 2, s, choice, e, 2, 0.5, ds));
    SAME(ds, ((double[]){0.125, 0, 0.125, 0, 0.125, 0, 0, -0.125}), 8, "B.13 ds");
    OK(smoe_excess(4, 2, idle, e));
    SAME(e, ((double[]){1, -1}), 2, "B.13 e without tokens");
}
END_TEST

/* P = (1/2, 1/4, 1/4): -3/2 ln 2; dP = 1 - ln 2, 1 - 2 ln 2 twice; one token with these p: dr = ln 2 (1/4, -1/8, -1/8). */
/* evidence hand: B.14 */
START_TEST(entropy_by_hand)
{
    const double P[] = {0.5, 0.25, 0.25}, sure[] = {0, 1, 0}, ln2 = 0x1.62e42fefa39efp-1;
    double loss, dP[3], dp[3], dr[3];
    OK(smoe_negative_entropy(3, P, &loss));
    ck_assert_msg(near(loss, -1.5 * ln2, 2), "B.14: %.17g, by hand -3/2 ln 2", loss);
    OK(smoe_negative_entropy_vjp(3, P, 1, dP));
    NEAR(dP, ((double[]){1 - ln2, 1 - 2 * ln2, 1 - 2 * ln2}), 3, 2, "B.14 dP");
    OK(smoe_mean_softmax_vjp(1, 3, P, dP, dp, dr));
    NEAR(dr, ((double[]){ln2 / 4, -ln2 / 8, -ln2 / 8}), 3, 8, "B.14 dr");
    OK(smoe_negative_entropy(3, sure, &loss));
    ck_assert_msg(loss == 0, "B.14: 0 ln 0 + 1 ln 1 is %a", loss);
    OK(smoe_negative_entropy_vjp(3, sure, 3, dP));
    SAME(dP, ((double[]){0, 3, 0}), 3, "B.14 dP where P is 0");
}
END_TEST

/* s = (3/4, 1/4) and (1/2, 1/2): shares as they stand; f = (1, 0), P = (5/8, 3/8): 2 * 5/8.  dp = (1, 0): ds = (1/4,
 * -3/4) and (1/2, -1/2).  Doubled affinities: the same shares, half the gradient. */
/* evidence hand: B.15 */
START_TEST(deepseek_by_hand)
{
    const double s[] = {0.75, 0.25, 0.5, 0.5}, f[] = {1, 0}, dp[] = {1, 0}, twice[] = {1.5, 0.5};
    double p[4], P[2], loss, ds[4];
    for (size_t t = 0; t < 2; t++) OK(smoe_affinity_share(2, s + 2 * t, p + 2 * t));
    SAME(p, s, 4, "B.15 p");
    OK(smoe_mean_probability(2, 2, p, P));
    OK(smoe_switch_loss_sequences(1, 2, f, P, &loss));
    ck_assert_msg(loss == 1.25, "B.15: %a, by hand 5/4", loss);
    for (size_t t = 0; t < 2; t++) OK(smoe_affinity_share_vjp(2, s + 2 * t, p + 2 * t, dp, ds + 2 * t));
    SAME(ds, ((double[]){0.25, -0.75, 0.5, -0.5}), 4, "B.15 ds");
    OK(smoe_affinity_share(2, twice, p));
    SAME(p, s, 2, "B.15 p of doubled affinities");
    OK(smoe_affinity_share_vjp(2, twice, p, dp, ds));
    SAME(ds, ((double[]){0.125, -0.375}), 2, "B.15 ds of doubled affinities");
}
END_TEST

/* Loads (8,4,0,4), mean 4, a step of 1/4. */
/* evidence hand: B.16 */
START_TEST(bias_by_hand)
{
    const double load[] = {8, 4, 0, 4}, bias[] = {0, 1, 0, -1};
    double updated[4];
    OK(smoe_bias_update(4, load, bias, 0.25, updated));
    SAME(updated, ((double[]){-0.25, 1, 0.25, -1}), 4, "B.16");
}
END_TEST

/* Two micro-batches with f = (1,0), P = (3/4,1/4) and f = (0,1), P = (1/4,3/4): micro 3/2, global 1, accumulated 5/4. */
/* evidence hand: B.17 */
START_TEST(global_by_hand)
{
    const size_t first[] = {4, 0}, second[] = {0, 4};
    const double P[] = {0.75, 0.25, 0.25, 0.75};
    size_t total[] = {0, 0};
    double f[4], loss;
    OK(smoe_accumulate_load(2, first, total));
    OK(smoe_load_fraction(4, 2, total, f));
    OK(smoe_accumulate_load(2, second, total));
    ck_assert_msg(total[0] == 4 && total[1] == 4, "B.17: totals (%zu, %zu)", total[0], total[1]);
    OK(smoe_load_fraction(8, 2, total, f + 2));
    OK(smoe_switch_loss_sequences(2, 2, f, P, &loss));
    ck_assert_msg(loss == 1.25, "B.17 accumulated: %a, by hand 5/4", loss);
    f[0] = f[1] = 0.5;
    OK(smoe_switch_loss_sequences(2, 2, f, P, &loss));
    ck_assert_msg(loss == 1, "B.17 global: %a, by hand 1", loss);
}
END_TEST

/* --- gradients: each operation as a whole, against its formula in extended precision ------------------------------- */

typedef struct {
    const char *equation, *op, *dims, *set;
} problem;

static const problem problems[] = {
    {"B.7, B.8", "balance.switch", "T=12,N=4", "k=2,scope=sequence,sequence=4,divide=tokens,capacity=3"},
    {"B.5, B.7", "balance.switch", "T=12,N=4", "k=2,scope=layer,sequence=6,reduce=sum,count=first"},
    {"B.9", "balance.importance", "T=5,N=4", "epsilon=0.5"},
    {"B.9 unbiased", "balance.importance", "T=5,N=4", "variance=unbiased"},
    {"B.10", "balance.load", "T=6,N=4", "k=2"},
    {"B.10 unbiased", "balance.load", "T=6,N=4", "k=1,variance=unbiased,epsilon=0.25"},
    {"B.10 detached", "balance.load", "T=6,N=4", "k=2,detach=yes"},
    {"B.11", "balance.gshard", "T=9,N=4", "count=after,capacity=2"},
    {"B.11 scaled", "balance.gshard", "T=9,N=4", "form=scaled"},
    {"B.12", "balance.xmoe", "T=9,N=4", "tau0=0.75"},
    {"B.12 number", "balance.xmoe", "T=9,N=4", "tau0=1.5,count=number"},
    {"B.13", "balance.stable", "T=9,N=4", "alpha=0.75"},
    {"B.14", "balance.entropy", "T=9,N=4", ""},
    {"B.14 sequences", "balance.entropy", "T=9,N=4", "scope=sequence,sequence=3"},
    {"B.15", "balance.deepseek", "T=8,N=4", "k=2,sequence=4,alpha=1.5"},
    {"B.17", "balance.global", "T=12,N=4", "k=2,micro=4,form=global"},
    {"B.17 accumulated", "balance.global", "T=12,N=4", "k=2,micro=4,form=accumulated"},
    {"B.17 micro", "balance.global", "T=12,N=4", "k=2,micro=4,form=micro"},
};
enum { PROBLEMS = sizeof problems / sizeof *problems };

/* The case, and theta: all its differentiable inputs one after the other. */
typedef struct {
    op_case *c;
    size_t n;
    double base[128];
} whole;

static bool is(const whole *w, const char *op) { return strcmp(w->c->op->id, op) == 0; }

static void put(const whole *w, const double *theta)
{
    for (size_t i = 0; w->c->op->in[i].name; i++) {
        if (!(w->c->op->in[i].flags & OP_DIFF)) continue;
        memcpy(w->c->in[i].f64, theta, w->c->in[i].count * sizeof *theta);
        theta += w->c->in[i].count;
    }
}

static whole make(const problem *q, uint64_t seed)
{
    char err[256];
    whole w = {.c = op_case_new(op_find(q->op), q->dims, q->set, err, sizeof err)};
    ck_assert_msg(w.c != NULL, "%s", err);
    for (size_t i = 0; w.c->op->in[i].name; i++)
        if (w.c->op->in[i].flags & OP_DIFF) w.n += w.c->in[i].count;
    slopes_fill(&seed, 1.5, w.n, w.base);
    for (size_t k = 0; k < w.n; k++) {
        const bool std = is(&w, "balance.load") && k >= 2 * w.n / 3;
        if (std || is(&w, "balance.importance") || is(&w, "balance.deepseek")) w.base[k] = fabs(w.base[k]) + 0.25;
    }
    for (size_t i = 0; w.c->op->in[i].name; i++)
        for (size_t k = 0; k < w.c->in[i].count && !(w.c->op->in[i].flags & OP_DIFF); k++)
            w.c->in[i].f64[k] = w.c->op->in[i].flags & OP_OPTIONAL ? k % 3 != 1 && k >= 4 : slopes_draw(&seed) / 4;
    *op_cot(w.c, "loss") = 1 + slopes_draw(&seed) / 2;
    put(&w, w.base);
    OK(op_run(w.c));
    return w;
}

static double library(const void *test, const double *theta)
{
    const whole *w = test;
    put(w, theta);
    OK(w->c->op->forward(w->c));
    return *op_cot(w->c, "loss") * *op_out(w->c, "loss");
}

/* How often expert i is among the first J choices of tokens from..from+n that are real, as the case has decided. */
static size_t chosen(const op_case *c, size_t from, size_t n, size_t J, size_t i)
{
    size_t count = 0;
    for (size_t o = 0; c->op->out[o].name; o++) {
        if (c->op->out[o].kind != OP_DECISION) continue;
        const size_t columns = c->out[o].dim[1];
        for (size_t t = from; t < from + n; t++)
            for (size_t j = 0; j < J; j++) count += c->out[o].i64[t * columns + j] == (int64_t)i;
    }
    return count;
}

static long double probability(const long double *z, size_t N, size_t i, long double tau)
{
    long double Z = 0;
    for (size_t l = 0; l < N; l++) Z += expl(z[l] / tau);
    return expl(z[i] / tau) / Z;
}

static long double variation(const whole *w, size_t N, const long double *v)
{
    long double mean = 0, square = 0;
    for (size_t i = 0; i < N; i++) mean += v[i] / (long double)N;
    for (size_t i = 0; i < N; i++) square += v[i] * v[i] - mean * mean;
    return square / (long double)(op_is(w->c, "variance", "unbiased") ? N - 1 : N) /
           (mean * mean + op_real(w->c, "epsilon"));
}

static long double exact_switch(const whole *w, const long double *z)
{
    const size_t T = op_dim(w->c, 'T'), N = op_dim(w->c, 'N'), S = (size_t)op_int(w->c, "sequence");
    const size_t J = op_is(w->c, "count", "all") ? op_dim(w->c, 'K') : 1;
    const double *mask = op_in(w->c, "mask");
    long double sum = 0;
    size_t groups = 0;
    for (size_t b = 0; b < T; b += S) {
        size_t real = 0;
        for (size_t t = b; t < b + S; t++) real += mask[t] == 1;
        groups += real > 0;
        for (size_t i = 0; i < N && real > 0; i++) {
            size_t count = 0;
            long double P = 0;
            for (size_t t = b; t < b + S; t++) {
                if (mask[t] == 0) continue;
                count += chosen(w->c, t, 1, J, i);
                P += probability(z + t * N, N, i, 1) / (long double)real;
            }
            const size_t most = (size_t)op_int(w->c, "capacity");
            if (most > 0 && count > most) count = most;
            sum += (long double)(N * count) / (long double)(op_is(w->c, "divide", "tokens") ? real : real * J) * P;
        }
    }
    return op_is(w->c, "reduce", "mean") ? sum / (long double)groups : sum;
}

static long double exact_load(const whole *w, const long double *theta)
{
    const size_t T = op_dim(w->c, 'T'), N = op_dim(w->c, 'N'), K = op_dim(w->c, 'K');
    const long double *clean = theta, *noisy = theta + T * N, *std = theta + 2 * T * N;
    const bool frozen = op_is(w->c, "detach", "yes");
    long double load[8] = {0};
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) { /* the K-th largest of the others, by counting who is above it */
            long double thr = 0;
            for (size_t l = 0; l < N; l++) {
                size_t above = 0;
                for (size_t o = 0; o < N; o++) above += o != i && noisy[t * N + o] > noisy[t * N + l];
                if (l != i && above == K - 1) thr = frozen ? w->base[T * N + t * N + l] : noisy[t * N + l];
            }
            load[i] += erfcl((thr - clean[t * N + i]) / std[t * N + i] / sqrtl(2)) / 2;
        }
    return variation(w, N, load);
}

/* sum_i f_i P_i over parts of S tokens, summed; P of softmax at temperature tau; f by `share`. */
static long double exact_parts(const whole *w, const long double *z, size_t S, long double tau,
                               long double (*share)(const whole *w, size_t from, size_t S, size_t i))
{
    const size_t T = op_dim(w->c, 'T'), N = op_dim(w->c, 'N');
    long double sum = 0;
    for (size_t b = 0; b < T; b += S)
        for (size_t i = 0; i < N; i++)
            for (size_t t = b; t < b + S; t++)
                sum += share(w, b, S, i) * probability(z + t * N, N, i, tau) / (long double)S;
    return sum;
}

static long double gshard_share(const whole *w, size_t from, size_t S, size_t i)
{
    const size_t N = op_dim(w->c, 'N'), most = (size_t)op_int(w->c, "capacity");
    size_t count = chosen(w->c, from, S, 1, i);
    if (most > 0 && count > most) count = most;
    return (long double)count / (long double)S * (op_is(w->c, "form", "scaled") ? (long double)N : 1 / (long double)N);
}

static long double xmoe_share(const whole *w, size_t from, size_t S, size_t i)
{
    const long double count = (long double)chosen(w->c, from, S, 1, i), N = (long double)op_dim(w->c, 'N');
    return op_is(w->c, "count", "number") ? N * count : N * count / (long double)S;
}

static long double global_share(const whole *w, size_t from, size_t S, size_t i)
{
    const size_t T = op_dim(w->c, 'T'), N = op_dim(w->c, 'N'), K = op_dim(w->c, 'K');
    const size_t first = op_is(w->c, "form", "micro") ? from : 0,
                 n = op_is(w->c, "form", "global") ? T : from + S - first;
    return (long double)(N * chosen(w->c, first, n, K, i)) / (long double)(n * K) / (long double)(T / S);
}

static long double exact_stable(const whole *w, const long double *s)
{
    const size_t T = op_dim(w->c, 'T'), N = op_dim(w->c, 'N');
    long double sum = 0;
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++)
            if (chosen(w->c, t, 1, 1, i) == 1)
                sum += ((long double)(N * chosen(w->c, 0, T, 1, i)) / (long double)T - 1) / (1 + expl(-s[t * N + i]));
    return op_real(w->c, "alpha") * sum;
}

static long double exact_entropy(const whole *w, const long double *r)
{
    const size_t T = op_dim(w->c, 'T'), N = op_dim(w->c, 'N');
    const size_t S = op_is(w->c, "scope", "batch") ? T : (size_t)op_int(w->c, "sequence");
    long double sum = 0;
    for (size_t b = 0; b < T; b += S)
        for (size_t i = 0; i < N; i++) {
            long double P = 0;
            for (size_t t = b; t < b + S; t++) P += probability(r + t * N, N, i, 1) / (long double)S;
            sum += P * logl(P) * (long double)S / (long double)T;
        }
    return sum;
}

static long double exact_deepseek(const whole *w, const long double *s)
{
    const size_t T = op_dim(w->c, 'T'), N = op_dim(w->c, 'N'), K = op_dim(w->c, 'K'),
                 S = (size_t)op_int(w->c, "sequence");
    long double sum = 0;
    for (size_t t = 0; t < T; t++) {
        long double total = 0;
        for (size_t i = 0; i < N; i++) total += s[t * N + i];
        for (size_t i = 0; i < N; i++)
            sum += (long double)(N * chosen(w->c, t / S * S, S, K, i)) / (long double)(K * S) * s[t * N + i] / total;
    }
    return op_real(w->c, "alpha") * sum / (long double)T;
}

static long double exact(const void *test, const long double *theta)
{
    const whole *w = test;
    const size_t T = op_dim(w->c, 'T'), N = op_dim(w->c, 'N');
    long double loss = 0, v[8] = {0};
    if (is(w, "balance.switch")) loss = exact_switch(w, theta);
    if (is(w, "balance.load")) loss = exact_load(w, theta);
    if (is(w, "balance.gshard")) loss = exact_parts(w, theta, T, 1, gshard_share);
    if (is(w, "balance.xmoe")) loss = exact_parts(w, theta, T, op_real(w->c, "tau0"), xmoe_share);
    if (is(w, "balance.global")) loss = exact_parts(w, theta, (size_t)op_int(w->c, "micro"), 1, global_share);
    if (is(w, "balance.stable")) loss = exact_stable(w, theta);
    if (is(w, "balance.entropy")) loss = exact_entropy(w, theta);
    if (is(w, "balance.deepseek")) loss = exact_deepseek(w, theta);
    for (size_t a = 0; a < T * N && is(w, "balance.importance"); a++) v[a % N] += theta[a];
    if (is(w, "balance.importance")) loss = variation(w, N, v);
    return *op_cot(w->c, "loss") * loss;
}

static void gradient(const whole *w, double *g)
{
    put(w, w->base);
    OK(op_run(w->c));
    for (size_t i = 0; w->c->op->in[i].name; i++) {
        if (!(w->c->op->in[i].flags & OP_DIFF)) continue;
        memcpy(g, w->c->grad[i].f64, w->c->grad[i].count * sizeof *g);
        g += w->c->grad[i].count;
    }
}

/* Where long double is no wider than double (under Valgrind), rounding shows in the smallest steps. */
static double least_order(void)
{
    volatile long double one = 1, more = one + 0x1p-60L;
    return more != one ? 1.8 : 1.4;
}

/* evidence gradient: B.7 B.8 B.9 B.10 B.11 B.12 B.13 B.14 B.15 B.17 */
START_TEST(gradient_is_the_slope)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        whole w = make(&problems[_i], seed);
        double g[128];
        gradient(&w, g);
        long double at[128];
        for (size_t k = 0; k < w.n; k++) at[k] = w.base[k];
        const double loss = library(&w, w.base), want = (double)exact(&w, at);
        ck_assert_msg(fabs(loss - want) <= 1e-14 * (1 + fabs(want)), "%s: %.17g, by the formula %.17g",
                      problems[_i].equation, loss, want);
        const double order = slopes_order(w.n, w.base, g, exact, &w, seed);
        ck_assert_msg(order > least_order(), "%s: Taylor remainder falls with order %.3f, not 2", problems[_i].equation,
                      order);
        if (strstr(problems[_i].equation, "detached") == NULL) { /* the library's loss moves with its threshold */
            const double off = slopes_adjoint(w.n, w.base, g, library, &w, 0, w.n, seed);
            ck_assert_msg(off <= 1e-7, "%s: <dloss, J v> and <d_in, v> differ by %.1e", problems[_i].equation, off);
        }
        op_case_free(w.c);
    }
}
END_TEST

/* Negative control: one entry off by 1/1000, half of it, none of it. */
START_TEST(a_wrong_gradient_is_seen)
{
    whole w = make(&problems[_i], 7);
    double g[128], wrong[128];
    size_t largest = 0;
    gradient(&w, g);
    for (size_t k = 0; k < w.n; k++)
        if (fabs(g[k]) > fabs(g[largest])) largest = k;
    memcpy(wrong, g, sizeof g);
    wrong[largest] *= 1.001;
    ck_assert_msg(slopes_order(w.n, w.base, wrong, exact, &w, 7) < 1.5, "%s: an entry off", problems[_i].equation);
    for (size_t k = 0; k < w.n; k++) wrong[k] = g[k] / 2;
    ck_assert_msg(slopes_order(w.n, w.base, wrong, exact, &w, 7) < 1.5, "%s: half of it", problems[_i].equation);
    for (size_t k = 0; k < w.n; k++) wrong[k] = 0;
    ck_assert_msg(slopes_order(w.n, w.base, wrong, exact, &w, 7) < 1.5, "%s: none of it", problems[_i].equation);
    op_case_free(w.c);
}
END_TEST

/* --- properties --------------------------------------------------------------------------------------------------- */

/* Scaling v changes nothing and costs the gradient its factor; sum_i v_i dv_i = 0; alike v give 0 and no gradient; all in
 * one place give N - 1, and N without bias. */
/* evidence properties: B.9 */
START_TEST(variation_properties)
{
    enum { N = 6 };
    double v[N], y[N], dv[N], dy[N], loss, other, sum = 0;
    uint64_t seed = 3;
    for (size_t i = 0; i < N; i++) v[i] = 1.5 + slopes_draw(&seed);
    for (size_t i = 0; i < N; i++) y[i] = 8 * v[i];
    OK(smoe_cv_squared(N, v, 0, &loss));
    OK(smoe_cv_squared(N, y, 0, &other));
    ck_assert_msg(loss == other, "B.9: %a, of eight times that %a", loss, other);
    OK(smoe_cv_squared_vjp(N, v, 0, 1, dv));
    OK(smoe_cv_squared_vjp(N, y, 0, 1, dy));
    for (size_t i = 0; i < N; i++) {
        ck_assert_msg(dy[i] == dv[i] / 8, "B.9: dv of eight times v is %a, not %a / 8", dy[i], dv[i]);
        sum += v[i] * dv[i];
    }
    ck_assert_msg(fabs(sum) < 1e-15, "B.9: <v, dv> is %g", sum);
    OK(smoe_cv_squared_unbiased(N, v, 0, &other));
    ck_assert_msg(near(other, loss * N / (N - 1), 4), "B.9 unbiased: %.17g, population %.17g", other, loss);
    OK(smoe_cv_squared(N, v, 0.5, &other));
    ck_assert_msg(other < loss && other > 0, "B.9: an epsilon raises the value");
    for (size_t i = 0; i < N; i++) v[i] = 0.75, y[i] = i == 2 ? 5 : 0;
    OK(smoe_cv_squared(N, v, 0, &loss));
    OK(smoe_cv_squared_vjp(N, v, 0, 1, dv));
    ck_assert_msg(loss == 0, "B.9: alike they give %a", loss);
    for (size_t i = 0; i < N; i++) ck_assert_msg(dv[i] == 0, "B.9: alike they have a gradient");
    OK(smoe_cv_squared(N, y, 0, &loss));
    OK(smoe_cv_squared_unbiased(N, y, 0, &other));
    ck_assert_msg(near(loss, N - 1, 8) && near(other, N, 8), "B.9: all in one: %.17g and %.17g", loss, other);
    OK(smoe_cv_squared(1, y + 2, 0, &loss));
    ck_assert_msg(loss == 0, "B.9: one expert gives %a", loss);
}
END_TEST

/* A probability; less noise brings it nearer to the selection itself, whose load sums to T K; experts renamed. */
/* evidence properties: B.10 */
START_TEST(load_properties)
{
    enum { T = 7, N = 5, K = 2 };
    double noisy[T * N], y[T * N], std[T * N], value[K + 1], P[N], load[N], renamed[N];
    size_t order[K + 1], count[N] = {0};
    uint64_t seed = 17;
    slopes_fill(&seed, 2.0, T * N, noisy);
    for (size_t a = 0; a < T * N; a++) std[a] = 1.25 + slopes_draw(&seed);
    OK(smoe_noisy_load(T, N, K, noisy, noisy, std, order, value, P, load));
    for (size_t i = 0; i < N; i++) ck_assert_msg(load[i] > 0 && load[i] < T, "B.10: load %g", load[i]);
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) y[t * N + i] = noisy[t * N + N - 1 - i];
    double turned[T * N];
    for (size_t a = 0; a < T * N; a++) turned[a] = std[a / N * N + N - 1 - a % N];
    OK(smoe_noisy_load(T, N, K, y, y, turned, order, value, P, renamed));
    for (size_t i = 0; i < N; i++) ck_assert_msg(renamed[N - 1 - i] == load[i], "B.10: experts renamed: %zu", i);
    for (size_t a = 0; a < T * N; a++) std[a] = 0x1p-40;
    OK(smoe_noisy_load(T, N, K, noisy, noisy, std, order, value, P, load));
    for (size_t t = 0; t < T; t++) {
        double margin;
        OK(smoe_topk(N, K, noisy + t * N, order, value, &margin));
        for (size_t j = 0; j < K; j++) count[order[j]]++;
    }
    for (size_t i = 0; i < N; i++)
        ck_assert_msg(load[i] == (double)count[i], "B.10: without noise %g, selected %zu", load[i], count[i]);
}
END_TEST

/* By simulation: with its own noise drawn again, expert i is selected as often as P says. */
/* evidence properties: B.10 */
START_TEST(load_is_how_often_an_expert_is_selected)
{
    enum { N = 4, K = 2, DRAWS = 40000 };
    const double clean[N] = {0.3, -0.2, 0.9, 0.1}, noisy[N] = {0.8, -0.6, 0.5, 0.2}, std[N] = {0.5, 1, 0.75, 1.5};
    double P[N], value[K + 1], margin, load[N];
    size_t order[K + 1];
    OK(smoe_noisy_load(1, N, K, clean, noisy, std, order, value, P, load));
    op_rng *r = op_rng_new(1, "load by simulation");
    for (size_t i = 0; i < N; i++) {
        size_t selected = 0;
        for (int draw = 0; draw < DRAWS; draw++) {
            double again[N];
            memcpy(again, noisy, sizeof again);
            again[i] = clean[i] + std[i] * op_normal(r);
            OK(smoe_topk(N, K, again, order, value, &margin));
            selected += order[0] == i || order[1] == i;
        }
        const double often = (double)selected / DRAWS; /* deviation at most 1/(2 sqrt DRAWS) = 0.0025 */
        ck_assert_msg(fabs(often - load[i]) < 0.0125, "B.10: P of %zu is %.4f, selected %.4f", i, load[i], often);
    }
    op_rng_free(r);
}
END_TEST

static op_case *run(const char *op, const char *dims, const char *set, uint64_t seed, double scale)
{
    char err[256];
    op_case *c = op_case_new(op_find(op), dims, set, err, sizeof err);
    ck_assert_msg(c != NULL, "%s", err);
    slopes_fill(&seed, scale, c->in[0].count, c->in[0].f64);
    for (size_t i = 0; c->op->in[i].name; i++)
        for (size_t k = 0; k < c->in[i].count && (c->op->in[i].flags & OP_OPTIONAL); k++) c->in[i].f64[k] = 1;
    *op_cot(c, "loss") = 0.75;
    OK(op_run(c));
    return c;
}

/* Two operations on the same scores: the loss and gradient of the second are `factor` times those of the first. */
static void same(const char *op, const char *set, const char *other, const char *other_set, double factor, double ulps)
{
    op_case *a = run(op, "T=12,N=4", set, 5, 2), *b = run(other, "T=12,N=4", other_set, 5, 2);
    ck_assert_msg(near(*op_out(b, "loss"), factor * *op_out(a, "loss"), ulps), "%s %s: %.17g, %s %s: %.17g", other,
                  other_set, *op_out(b, "loss"), op, set, *op_out(a, "loss"));
    for (size_t k = 0; k < a->grad[0].count; k++)
        ck_assert_msg(fabs(b->grad[0].f64[k] - factor * a->grad[0].f64[k]) <= ulps * 0x1p-52,
                      "%s %s against %s %s: d[%zu]", other, other_set, op, set, k);
    op_case_free(a);
    op_case_free(b);
}

/* What the chapter says of one equation in terms of another. */
/* evidence properties: B.5 B.7 B.8 B.11 B.12 B.17 */
START_TEST(equations_agree_where_the_spec_says_so)
{
    const char *sw = "balance.switch";
    same(sw, "scope=sequence,sequence=4", sw, "scope=layer,sequence=4", 1, 0);
    same(sw, "scope=layer,sequence=4", sw, "scope=layer,sequence=4,reduce=sum", 3, 8);
    same(sw, "k=3", sw, "k=3,divide=tokens", 3, 8);
    same(sw, "count=first", sw, "count=first,divide=tokens", 1, 0);
    same(sw, "k=2", sw, "k=2,capacity=12", 1, 0);
    same(sw, "k=1", "balance.gshard", "form=scaled", 1, 0);
    same("balance.gshard", "form=scaled", "balance.gshard", "form=paper", 1.0 / 16, 0);
    same("balance.gshard", "", "balance.gshard", "count=after,capacity=12", 1, 0);
    same(sw, "k=1", "balance.xmoe", "tau0=1.0", 1, 0);
    same("balance.xmoe", "", "balance.xmoe", "count=number", 12, 16);
    same(sw, "k=2", "balance.global", "k=2,micro=4", 1, 16); /* (B.17): the global form is the loss of the batch */
    same(sw, "k=2", "balance.global", "k=2,micro=1,form=global", 1, 16);
    same(sw, "k=2,scope=sequence,sequence=4", "balance.global", "k=2,micro=4,form=micro", 1, 0);
    same(sw, "k=2", "balance.global", "k=2,form=accumulated", 1, 0);
    same(sw, "k=2", "balance.global", "k=2,form=micro", 1, 0);
}
END_TEST

/* Balance, one expert, and all scores alike; what each loss says then. */
/* evidence properties: B.11 B.12 B.13 B.14 B.15 B.17 */
START_TEST(balance_and_collapse)
{
    static const struct {
        const char *op, *set;
        double even, zero; /* the value at perfect balance; and with N = 1 */
    } loss[] = {
        {"balance.gshard", "", 1.0 / 16, 1},
        {"balance.gshard", "form=scaled", 1, 1},
        {"balance.xmoe", "tau0=0.5", 1, 1},
        {"balance.xmoe", "tau0=0.5,count=number", 8, 8},
        {"balance.stable", "", 0, 0},
        {"balance.deepseek", "k=1,alpha=0.5", 0.5, 0.5},
        {"balance.global", "k=1,micro=4", 1, 1},
        {"balance.entropy", "", -1.3862943611198906, 0},
    };
    for (size_t q = 0; q < sizeof loss / sizeof *loss; q++) {
        char err[256];
        op_case *c = op_case_new(op_find(loss[q].op), "T=8,N=4", loss[q].set, err, sizeof err);
        ck_assert_msg(c != NULL, "%s", err);
        for (size_t a = 0; a < 32; a++)
            c->in[0].f64[a] = a % 4 == a / 4 % 4 ? 3 : 1; /* each expert is best for two tokens */
        OK(op_run(c));
        const double even = *op_out(c, "loss");
        for (size_t a = 0; a < 32; a++) c->in[0].f64[a] = a % 4 == 0 ? 3 : 1;
        OK(op_run(c));
        const double collapsed = *op_out(c, "loss");
        op_case_free(c);
        ck_assert_msg(fabs(even - loss[q].even) <= 4 * 0x1p-52, "%s %s at balance: %.17g", loss[q].op, loss[q].set,
                      even);
        ck_assert_msg(collapsed > even + 0.01, "%s %s: collapsed %g, balanced %g", loss[q].op, loss[q].set, collapsed,
                      even);
        c = op_case_new(op_find(loss[q].op), "T=8,N=1", loss[q].set, err, sizeof err);
        for (size_t a = 0; a < 8; a++) c->in[0].f64[a] = 1 + (double)a;
        *op_cot(c, "loss") = 1;
        OK(op_run(c));
        ck_assert_msg(*op_out(c, "loss") == loss[q].zero, "%s %s with N = 1: %a", loss[q].op, loss[q].set,
                      *op_out(c, "loss"));
        for (size_t a = 0; a < 8; a++)
            ck_assert_msg(c->grad[0].f64[a] == 0, "%s: one expert has a gradient", loss[q].op);
        op_case_free(c);
    }
}
END_TEST

/* -ln N <= loss <= 0; log of probabilities again would be near -ln N in both. */
/* evidence properties: B.14 */
START_TEST(entropy_range)
{
    op_case *c;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        c = run("balance.entropy", "T=5,N=6", "", seed, (double)seed);
        const double loss = *op_out(c, "loss");
        ck_assert_msg(loss >= -1.791759469228055 - 1e-15 && loss <= 0, "B.14: %g is not in [-ln 6, 0]", loss);
        for (size_t t = 0; t < 5; t++) {
            double sum = 0;
            for (size_t i = 0; i < 6; i++) sum += op_grad(c, "r")[t * 6 + i];
            ck_assert_msg(fabs(sum) < 1e-15, "B.14: the gradient of a token sums to %g", sum);
        }
        op_case_free(c);
    }
    char err[256];
    c = op_case_new(op_find("balance.entropy"), "T=8,N=64", "", err, sizeof err);
    for (size_t t = 0; t < 8; t++) op_in(c, "r")[t * 64] = 1000; /* all else underflows: 0 ln 0 */
    *op_cot(c, "loss") = 1;
    OK(op_run(c));
    ck_assert_msg(*op_out(c, "loss") == 0, "B.14: all on one of 64: %g", *op_out(c, "loss"));
    for (size_t a = 0; a < 512; a++) ck_assert_msg(op_grad(c, "r")[a] == 0, "B.14: a gradient where all are sure");
    op_case_free(c);
}
END_TEST

/* The bias selects and nothing else: a bias that changes no selection changes no bit, one that does leaves P as it is. */
/* evidence properties: B.15 */
START_TEST(bias_only_selects)
{
    char err[256];
    op_case *c = op_case_new(op_find("balance.deepseek"), "T=6,N=4", "k=1", err, sizeof err);
    for (size_t a = 0; a < 24; a++) op_in(c, "s")[a] = 0.25 + 0.125 * (double)((a * 5 + a / 4) % 4);
    *op_cot(c, "loss") = 1;
    OK(op_run(c));
    const double before = *op_out(c, "loss");
    for (size_t i = 0; i < 4; i++) op_in(c, "bias")[i] = 100;
    OK(op_run(c));
    ck_assert_msg(*op_out(c, "loss") == before, "B.15: a bias that all share changes the loss");
    for (size_t i = 0; i < 4; i++) op_in(c, "bias")[i] = i == 3 ? 100 : 0;
    OK(op_run(c));
    double P3 = 0;
    for (size_t t = 0; t < 6; t++) {
        double sum = 0;
        for (size_t i = 0; i < 4; i++) sum += op_in(c, "s")[t * 4 + i];
        P3 += op_in(c, "s")[t * 4 + 3] / sum / 6;
        ck_assert_msg(op_out_i64(c, "index")[t] == 3, "B.15: token %zu is not on the biased expert", t);
    }
    ck_assert_msg(near(*op_out(c, "loss"), 4 * P3, 8), "B.15: %.17g, N P_3 is %.17g", *op_out(c, "loss"), 4 * P3);
    op_case_free(c);
}
END_TEST

/* Each step is gamma or nothing, against the load; equal loads are left alone; repeated, it balances a fixed demand. */
/* evidence properties: B.16 */
START_TEST(bias_moves_against_the_load)
{
    double load[5] = {9, 2, 2, 2, 5}, bias[5] = {0}, updated[5];
    for (int step = 0; step < 40; step++) {
        OK(smoe_bias_update(5, load, bias, 0.125, updated));
        for (size_t i = 0; i < 5; i++) {
            const double moved = updated[i] - bias[i];
            ck_assert_msg(moved == (load[i] > 4 ? -0.125 : load[i] < 4 ? 0.125 : 0), "B.16: %zu moved by %g", i, moved);
            bias[i] = updated[i];
        }
        for (size_t i = 0; i < 5; i++) { /* expert 0 hands a token to the one with the largest bias */
            size_t best = 0;
            for (size_t l = 1; l < 5; l++) best = bias[l] - 0.25 * load[l] > bias[best] - 0.25 * load[best] ? l : best;
            if (i == 0 && load[0] > 4 && best != 0) load[0]--, load[best]++;
        }
    }
    for (size_t i = 0; i < 5; i++) load[i] = 4;
    OK(smoe_bias_update(5, load, bias, 0.125, updated));
    SAME(updated, bias, 5, "B.16 at balance");
}
END_TEST

/* --- errors ------------------------------------------------------------------------------------------------------- */

static const double bad[] = {INFINITY, -INFINITY, NAN};

START_TEST(variation_errors)
{
    const double v[2] = {1, 3}, spoilt[2] = {1, bad[_i]}, zero[2] = {0, 0}, opposite[2] = {1, -1};
    const double huge[2] = {1e200, 1e200}, far[2] = {1e308, 1e308}, tiny[2] = {0x1p-530, 0x1.8p-530};
    double loss, dv[2], sums[2], dg[4];
    poison_all(1, &loss), poison_all(2, dv), poison_all(2, sums), poison_all(4, dg);
    ck_assert_int_eq(smoe_cv_squared(0, v, 0, &loss), SMOE_EINVAL);
    ck_assert_int_eq(smoe_cv_squared_unbiased(1, v, 0, &loss), SMOE_EINVAL);
    ck_assert_int_eq(smoe_cv_squared_vjp(0, v, 0, 1, dv), SMOE_EINVAL);
    ck_assert_int_eq(smoe_cv_squared_unbiased_vjp(1, v, 0, 1, dv), SMOE_EINVAL);
    ck_assert_int_eq(smoe_cv_squared(2, spoilt, 0, &loss), SMOE_EDOM);
    ck_assert_int_eq(smoe_cv_squared(2, v, bad[_i], &loss), SMOE_EDOM);
    ck_assert_int_eq(smoe_cv_squared(2, v, -1, &loss), SMOE_EDOM);
    ck_assert_int_eq(smoe_cv_squared(2, zero, 0, &loss), SMOE_EDOM);
    ck_assert_int_eq(smoe_cv_squared(2, opposite, 0, &loss), SMOE_EDOM);
    ck_assert_int_eq(smoe_cv_squared_vjp(2, spoilt, 0, 1, dv), SMOE_EDOM);
    ck_assert_int_eq(smoe_cv_squared_vjp(2, v, bad[_i], 1, dv), SMOE_EDOM);
    ck_assert_int_eq(smoe_cv_squared_vjp(2, v, -1, 1, dv), SMOE_EDOM);
    ck_assert_int_eq(smoe_cv_squared_vjp(2, v, 0, bad[_i], dv), SMOE_EDOM);
    ck_assert_int_eq(smoe_cv_squared_vjp(2, zero, 0, 1, dv), SMOE_EDOM);
    ck_assert_int_eq(smoe_importance(0, 2, v, sums), SMOE_EINVAL);
    ck_assert_int_eq(smoe_importance(2, 0, v, sums), SMOE_EINVAL);
    ck_assert_int_eq(smoe_importance(1, 2, spoilt, sums), SMOE_EDOM);
    ck_assert_int_eq(smoe_importance_vjp(0, 2, v, dg), SMOE_EINVAL);
    ck_assert_int_eq(smoe_importance_vjp(2, 0, v, dg), SMOE_EINVAL);
    ck_assert_int_eq(smoe_importance_vjp(2, 2, spoilt, dg), SMOE_EDOM);
    ck_assert_msg(untouched(1, &loss) && untouched(2, dv) && untouched(2, sums) && untouched(4, dg),
                  "B.9 wrote in spite of an error");
    ck_assert_int_eq(smoe_cv_squared(2, huge, 0, &loss), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_cv_squared_vjp(2, huge, 0, 1, dv), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_cv_squared(2, (double[]){1e160, -1e160}, 1, &loss), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_cv_squared_vjp(2, tiny, 0, 1e300, dv), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_importance(2, 1, far, sums), SMOE_EOVRFLW);
}
END_TEST

START_TEST(load_errors)
{
    const double x[3] = {3, 1, 0}, std[3] = {1, 2, 3}, spoilt[3] = {3, 1, bad[_i]}, none[3] = {1, 0, 1};
    const double tiny[3] = {1, 0x1p-1074, 1}, small[3] = {1, 1, 0x1p-900};
    const size_t order[2] = {0, 1}, high[2] = {0, 3}, higher[2] = {3, 0};
    double P[3], a[3], b[3], c[3], value[4], load[3];
    size_t work[4];
    poison_all(3, P), poison_all(3, a), poison_all(3, b), poison_all(3, c), poison_all(3, load);
    ck_assert_int_eq(smoe_load_token(3, 0, order, x, x, std, P), SMOE_EINVAL);
    ck_assert_int_eq(smoe_load_token(3, 3, order, x, x, std, P), SMOE_EINVAL);
    ck_assert_int_eq(smoe_load_token(3, 1, order, spoilt, x, std, P), SMOE_EDOM);
    ck_assert_int_eq(smoe_load_token(3, 1, order, x, spoilt, std, P), SMOE_EDOM);
    ck_assert_int_eq(smoe_load_token(3, 1, order, x, x, spoilt, P), SMOE_EDOM);
    ck_assert_int_eq(smoe_load_token(3, 1, order, x, x, none, P), SMOE_EDOM);
    ck_assert_int_eq(smoe_load_token(3, 1, high, x, x, std, P), SMOE_EDOM);
    ck_assert_int_eq(smoe_load_token(3, 1, higher, x, x, std, P), SMOE_EDOM);
    ck_assert_int_eq(smoe_load_token_vjp(3, 0, order, x, x, std, x, a, b, c), SMOE_EINVAL);
    ck_assert_int_eq(smoe_load_token_vjp(3, 1, order, x, x, std, spoilt, a, b, c), SMOE_EDOM);
    ck_assert_int_eq(smoe_noisy_load(0, 3, 1, x, x, std, work, value, P, load), SMOE_EINVAL);
    ck_assert_int_eq(smoe_noisy_load(1, 0, 1, x, x, std, work, value, P, load), SMOE_EINVAL);
    ck_assert_int_eq(smoe_noisy_load(1, 3, 0, x, x, std, work, value, P, load), SMOE_EINVAL);
    ck_assert_int_eq(smoe_noisy_load(1, 3, 4, x, x, std, work, value, P, load), SMOE_EINVAL);
    ck_assert_int_eq(smoe_noisy_load(1, 3, 1, spoilt, x, std, work, value, P, load), SMOE_EDOM);
    ck_assert_int_eq(smoe_noisy_load(1, 3, 1, x, spoilt, std, work, value, P, load), SMOE_EDOM);
    ck_assert_int_eq(smoe_noisy_load(1, 3, 1, x, x, spoilt, work, value, P, load), SMOE_EDOM);
    ck_assert_int_eq(smoe_noisy_load(1, 3, 3, x, x, none, work, value, P, load), SMOE_EDOM);
    ck_assert_int_eq(smoe_noisy_load_vjp(0, 3, 1, x, x, std, x, work, value, a, b, c), SMOE_EINVAL);
    ck_assert_int_eq(smoe_noisy_load_vjp(1, 3, 1, x, x, std, spoilt, work, value, a, b, c), SMOE_EDOM);
    ck_assert_int_eq(smoe_noisy_load_detached_vjp(1, 3, 1, x, x, none, x, work, value, a, b, c), SMOE_EDOM);
    ck_assert_msg(untouched(3, P) && untouched(3, a) && untouched(3, b) && untouched(3, c) && untouched(3, load),
                  "B.10 wrote in spite of an error");
    ck_assert_int_eq(smoe_load_token(3, 1, order, x, x, tiny, P), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_load_token_vjp(3, 1, order, x, x, tiny, x, a, b, c), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_noisy_load(1, 3, 1, x, x, tiny, work, value, P, load), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_noisy_load_vjp(1, 3, 1, x, x, tiny, x, work, value, a, b, c), SMOE_EOVRFLW);
    const double at[3] = {1, 3, 3}, large[3] = {1e200, 1e200, 1e200}; /* a = 0 everywhere, q = large phi(0) / std */
    ck_assert_int_eq(smoe_load_token_vjp(3, 1, order, at, x, small, large, a, b, c), SMOE_EOVRFLW);
    const double most[3] = {1, 1.7e308, 1.7e308}, half[3] = {1, 0.375, 0.375}; /* finite each, not their sum */
    ck_assert_int_eq(smoe_load_token_vjp(3, 1, order, at, x, half, most, a, b, c), SMOE_EOVRFLW);
    const double near_it[3] = {1, 3 + 0x1p-28, 3}, narrow[3] = {1, 0x1p-30, 1}, great[3] = {0, 0x1p1005, 0}; /* a = 4 */
    ck_assert_int_eq(smoe_load_token_vjp(3, 1, order, near_it, x, narrow, great, a, b, c), SMOE_EOVRFLW);
}
END_TEST

START_TEST(mean_softmax_errors)
{
    const double z[4] = {1, 2, 3, 4}, spoilt[4] = {1, 2, 3, bad[_i]}, apart[2] = {1.7e308, -1.7e308};
    double p[4], P[2], dp[2], dz[4];
    poison_all(4, p), poison_all(2, P), poison_all(2, dp), poison_all(4, dz);
    ck_assert_int_eq(smoe_mean_softmax(0, 2, z, p, P), SMOE_EINVAL);
    ck_assert_int_eq(smoe_mean_softmax(2, 0, z, p, P), SMOE_EINVAL);
    ck_assert_int_eq(smoe_mean_softmax(2, 2, spoilt, p, P), SMOE_EDOM);
    ck_assert_int_eq(smoe_mean_softmax_vjp(0, 2, z, z, dp, dz), SMOE_EINVAL);
    ck_assert_int_eq(smoe_mean_softmax_vjp(2, 0, z, z, dp, dz), SMOE_EINVAL);
    ck_assert_int_eq(smoe_mean_softmax_vjp(2, 2, spoilt, z, dp, dz), SMOE_EDOM);
    ck_assert_int_eq(smoe_mean_softmax_vjp(2, 2, z, spoilt + 2, dp, dz), SMOE_EDOM);
    ck_assert_msg(untouched(4, p) && untouched(2, P) && untouched(2, dp) && untouched(4, dz), "B.3 wrote");
    ck_assert_int_eq(smoe_mean_softmax_vjp(1, 2, (double[]){0.25, 0.75}, apart, dp, dz), SMOE_EOVRFLW);
}
END_TEST

START_TEST(gshard_and_temperature_errors)
{
    const double f[2] = {0.5, 0.5}, spoilt[2] = {0.5, bad[_i]}, huge[2] = {1e300, 1e300};
    double loss, d[2];
    poison_all(1, &loss), poison_all(2, d);
    ck_assert_int_eq(smoe_gshard_loss(0, f, f, &loss), SMOE_EINVAL);
    ck_assert_int_eq(smoe_gshard_loss(2, spoilt, f, &loss), SMOE_EDOM);
    ck_assert_int_eq(smoe_gshard_loss(2, f, spoilt, &loss), SMOE_EDOM);
    ck_assert_int_eq(smoe_gshard_loss_vjp(0, f, 1, d), SMOE_EINVAL);
    ck_assert_int_eq(smoe_gshard_loss_vjp(2, spoilt, 1, d), SMOE_EDOM);
    ck_assert_int_eq(smoe_gshard_loss_vjp(2, f, bad[_i], d), SMOE_EDOM);
    ck_assert_int_eq(smoe_temperature(2, spoilt, 1, d), SMOE_EDOM);
    ck_assert_int_eq(smoe_temperature(2, f, bad[_i], d), SMOE_EDOM);
    ck_assert_int_eq(smoe_temperature(2, f, 0, d), SMOE_EDOM);
    ck_assert_int_eq(smoe_temperature(2, f, -1, d), SMOE_EDOM);
    ck_assert_int_eq(smoe_temperature_vjp(2, 0, f, d), SMOE_EDOM);
    ck_assert_msg(untouched(1, &loss) && untouched(2, d), "B.11 or B.12 wrote in spite of an error");
    ck_assert_int_eq(smoe_gshard_loss(2, huge, huge, &loss), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_gshard_loss_vjp(2, huge, 1e300, d), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_temperature(2, huge, 0x1p-100, d), SMOE_EOVRFLW);
}
END_TEST

START_TEST(stable_errors)
{
    const double s[4] = {1, 2, 3, 4}, e[2] = {0.5, -0.5}, spoilt[4] = {1, bad[_i], 3, 4}, huge[2] = {1.7e308, 1.7e308};
    const size_t choice[2] = {1, 0}, high[2] = {0, 2}, over[2] = {1, 3};
    double x[2], g[2], loss, ds[4];
    poison_all(2, x), poison_all(2, g), poison_all(1, &loss), poison_all(4, ds);
    ck_assert_int_eq(smoe_excess(0, 2, choice, x), SMOE_EINVAL);
    ck_assert_int_eq(smoe_excess(2, 0, choice, x), SMOE_EINVAL);
    ck_assert_int_eq(smoe_excess(2, 2, over, x), SMOE_EDOM);
    ck_assert_int_eq(smoe_stable_loss(0, 2, s, choice, e, 1, g, &loss), SMOE_EINVAL);
    ck_assert_int_eq(smoe_stable_loss(2, 0, s, choice, e, 1, g, &loss), SMOE_EINVAL);
    ck_assert_int_eq(smoe_stable_loss(2, 2, spoilt, choice, e, 1, g, &loss), SMOE_EDOM);
    ck_assert_int_eq(smoe_stable_loss(2, 2, s, choice, spoilt, 1, g, &loss), SMOE_EDOM);
    ck_assert_int_eq(smoe_stable_loss(2, 2, s, choice, e, bad[_i], g, &loss), SMOE_EDOM);
    ck_assert_int_eq(smoe_stable_loss(2, 2, s, high, e, 1, g, &loss), SMOE_EDOM);
    ck_assert_int_eq(smoe_stable_loss_vjp(0, 2, s, choice, e, 1, 1, ds), SMOE_EINVAL);
    ck_assert_int_eq(smoe_stable_loss_vjp(2, 2, s, choice, e, 1, bad[_i], ds), SMOE_EDOM);
    ck_assert_int_eq(smoe_stable_loss_vjp(2, 2, s, high, e, 1, 1, ds), SMOE_EDOM);
    ck_assert_msg(untouched(2, x) && untouched(2, g) && untouched(1, &loss) && untouched(4, ds), "B.13 wrote");
    ck_assert_int_eq(smoe_stable_loss(2, 2, s, choice, huge, 8, g, &loss), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_stable_loss_vjp(2, 2, s, choice, huge, 1e5, 1e5, ds), SMOE_EOVRFLW);
}
END_TEST

START_TEST(entropy_errors)
{
    const double P[2] = {0.5, 0.5}, spoilt[2] = {0.5, bad[_i]}, negative[2] = {0.5, -0x1p-1074};
    double loss, dP[2];
    poison_all(1, &loss), poison_all(2, dP);
    ck_assert_int_eq(smoe_negative_entropy(0, P, &loss), SMOE_EINVAL);
    ck_assert_int_eq(smoe_negative_entropy(2, spoilt, &loss), SMOE_EDOM);
    ck_assert_int_eq(smoe_negative_entropy(2, negative, &loss), SMOE_EDOM);
    ck_assert_int_eq(smoe_negative_entropy_vjp(0, P, 1, dP), SMOE_EINVAL);
    ck_assert_int_eq(smoe_negative_entropy_vjp(2, spoilt, 1, dP), SMOE_EDOM);
    ck_assert_int_eq(smoe_negative_entropy_vjp(2, negative, 1, dP), SMOE_EDOM);
    ck_assert_int_eq(smoe_negative_entropy_vjp(2, P, bad[_i], dP), SMOE_EDOM);
    ck_assert_msg(untouched(1, &loss) && untouched(2, dP), "B.14 wrote in spite of an error");
    ck_assert_int_eq(smoe_negative_entropy(1, (double[]){1e308}, &loss), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_negative_entropy_vjp(1, (double[]){1e308}, 1e308, dP), SMOE_EOVRFLW);
}
END_TEST

START_TEST(deepseek_errors)
{
    const double s[2] = {0.5, 0.25}, spoilt[2] = {0.5, bad[_i]}, zero[2] = {0.5, 0}, huge[2] = {1.7e308, 1.7e308};
    const double load[2] = {1, 2};
    double p[2], ds[2];
    size_t total[2] = {77, SIZE_MAX};
    poison_all(2, p), poison_all(2, ds);
    ck_assert_int_eq(smoe_affinity_share(0, s, p), SMOE_EINVAL);
    ck_assert_int_eq(smoe_affinity_share(2, spoilt, p), SMOE_EDOM);
    ck_assert_int_eq(smoe_affinity_share(2, zero, p), SMOE_EDOM);
    ck_assert_int_eq(smoe_affinity_share(2, (double[]){0, 0.5}, p), SMOE_EDOM);
    ck_assert_int_eq(smoe_affinity_share_vjp(2, (double[]){-0.5, 1}, s, s, ds), SMOE_EDOM);
    ck_assert_int_eq(smoe_affinity_share_vjp(0, s, s, s, ds), SMOE_EINVAL);
    ck_assert_int_eq(smoe_affinity_share_vjp(2, zero, s, s, ds), SMOE_EDOM);
    ck_assert_int_eq(smoe_affinity_share_vjp(2, spoilt, s, s, ds), SMOE_EDOM);
    ck_assert_int_eq(smoe_affinity_share_vjp(2, s, spoilt, s, ds), SMOE_EDOM);
    ck_assert_int_eq(smoe_affinity_share_vjp(2, s, s, spoilt, ds), SMOE_EDOM);
    ck_assert_int_eq(smoe_bias_update(0, load, s, 1, p), SMOE_EINVAL);
    ck_assert_int_eq(smoe_bias_update(2, spoilt, s, 1, p), SMOE_EDOM);
    ck_assert_int_eq(smoe_bias_update(2, load, spoilt, 1, p), SMOE_EDOM);
    ck_assert_int_eq(smoe_bias_update(2, load, s, bad[_i], p), SMOE_EDOM);
    ck_assert_int_eq(smoe_accumulate_load(2, (size_t[]){1, 1}, total), SMOE_EOVRFLW);
    ck_assert_msg(untouched(2, p) && untouched(2, ds) && total[0] == 77, "B.15 to B.17 wrote in spite of an error");
    ck_assert_int_eq(smoe_affinity_share(2, huge, p), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_affinity_share_vjp(2, huge, s, s, ds), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_affinity_share_vjp(2, (double[]){0x1p-900, 0x1p-900}, s, huge, ds), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_bias_update(2, huge, s, 1, p), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_bias_update(2, load, huge, 1.7e308, p), SMOE_EOVRFLW);
}
END_TEST

/* The last number of one output is beyond the format, and no other number is. */
START_TEST(overflow_of_the_last_number)
{
    const size_t T = _i ? 5 : 2, N = 4;
    const double big = LONE_BIG, top = LONE_TOP;
    double *out = zeros(), *b = zeros(), *c = zeros(), *g = lone(T * N, top);
    size_t choice[5] = {0};
    g[N - 1] = top, choice[T - 1] = N - 1;
    LONE_OVERFLOW(smoe_importance(T, N, g, out));
    /* mean 1/2, D = 1/4, variance 3/16, so cv^2 = 3/4: a = 8 dloss/4, b = 3/4 dloss; dv is -3/4 a - b and 1/4 a - b. */
    LONE_OVERFLOW(smoe_cv_squared_vjp(N, (double[]){0.75, 0.75, 0.75, -0.25}, 0, 0x1.fcp1022, out));
    ck_assert_msg(isfinite(out[0]) && isinf(out[N - 1]), "dv is to overflow in its last number");
    /* std = 2^-30 and clean is 2^-28 above the threshold 3: a = 4, and q = 2^1035 phi(4) is finite where q a is not. */
    LONE_OVERFLOW(smoe_load_token_vjp(3, 1, (size_t[]){0, 1}, (double[]){3, 3, 3 + 0x1p-28}, (double[]){3, 1, 0},
                                      (double[]){1, 1, 0x1p-30}, (double[]){0, 0, 0x1p1005}, out, b, c));
    LONE_OVERFLOW(smoe_gshard_loss_vjp(N, lone(N, big), big, out));
    LONE_OVERFLOW(smoe_temperature(N, lone(N, big), 1 / big, out));
    LONE_OVERFLOW(smoe_stable_loss_vjp(T, N, zeros(), choice, lone(N, big), big, 1, out));
    LONE_OVERFLOW(smoe_negative_entropy_vjp(N, lone(N, 0x1p1000), 0x1p1020, out));
    const double small = 0.25 / big, each[] = {small, small, small, small};
    LONE_OVERFLOW(smoe_affinity_share_vjp(N, each, zeros(), lone(N, big), out));
    LONE_OVERFLOW(smoe_bias_update(N, (double[]){2, 2, 2, 1}, lone(N, top), top, out));
    ck_assert(out[0] == -top);
    double *std = lone(T * N, 1 / big);
    for (size_t a = 0; a < T * N - 1; a++) std[a] = 1;
    LONE_OVERFLOW(smoe_noisy_load_vjp(T, N, 1, zeros(), lone(T * N, -1), std, lone(N, big), (size_t[2]){0}, b, out, c,
                                      g)); /* of the second token */
}
END_TEST

/* Sizes are looked at before values. */
START_TEST(sizes_of_no_numbers)
{
    const double none[3] = {NAN, NAN, NAN};
    const size_t far[4] = {99, 99, 99, 99};
    double a[4], b[4], c[4], value[4], loss;
    size_t order[4];
    poison_all(4, a), poison_all(4, b), poison_all(4, c), poison_all(1, &loss);
    ck_assert_int_eq(smoe_cv_squared(0, none, NAN, &loss), SMOE_EINVAL);
    ck_assert_int_eq(smoe_cv_squared_unbiased(1, none, NAN, &loss), SMOE_EINVAL);
    ck_assert_int_eq(smoe_cv_squared_vjp(0, none, NAN, NAN, a), SMOE_EINVAL);
    ck_assert_int_eq(smoe_cv_squared_unbiased_vjp(1, none, NAN, NAN, a), SMOE_EINVAL);
    ck_assert_int_eq(smoe_gshard_loss(0, none, none, &loss), SMOE_EINVAL);
    ck_assert_int_eq(smoe_gshard_loss_vjp(0, none, NAN, a), SMOE_EINVAL);
    ck_assert_int_eq(smoe_negative_entropy(0, none, &loss), SMOE_EINVAL);
    ck_assert_int_eq(smoe_negative_entropy_vjp(0, none, NAN, a), SMOE_EINVAL);
    ck_assert_int_eq(smoe_affinity_share(0, none, a), SMOE_EINVAL);
    ck_assert_int_eq(smoe_affinity_share_vjp(0, none, none, none, a), SMOE_EINVAL);
    ck_assert_int_eq(smoe_bias_update(0, none, none, NAN, a), SMOE_EINVAL);
    for (size_t T = 0; T < 2; T++) {
        const size_t N = 1 - T;
        ck_assert_int_eq(smoe_importance(T, N, none, a), SMOE_EINVAL);
        ck_assert_int_eq(smoe_importance_vjp(T, N, none, a), SMOE_EINVAL);
        ck_assert_int_eq(smoe_excess(T, N, far, a), SMOE_EINVAL);
        ck_assert_int_eq(smoe_stable_loss(T, N, none, far, none, NAN, a, &loss), SMOE_EINVAL);
        ck_assert_int_eq(smoe_stable_loss_vjp(T, N, none, far, none, NAN, NAN, a), SMOE_EINVAL);
    }
    for (size_t K = 0; K < 5; K++) { /* of 3 experts */
        if (K == 0 || K > 2) {
            ck_assert_int_eq(smoe_load_token(3, K, far, none, none, none, a), SMOE_EINVAL);
            ck_assert_int_eq(smoe_load_token_vjp(3, K, far, none, none, none, none, a, b, c), SMOE_EINVAL);
        }
        const size_t T = K != 1, N = K == 2 ? 0 : 3;
        if (K == 3) continue;
        ck_assert_int_eq(smoe_noisy_load(T, N, K, none, none, none, order, value, a, b), SMOE_EINVAL);
        ck_assert_int_eq(smoe_noisy_load_vjp(T, N, K, none, none, none, none, order, value, a, b, c), SMOE_EINVAL);
    }
    ck_assert_msg(untouched(4, a) && untouched(4, b) && untouched(4, c) && untouched(1, &loss),
                  "refused, but something was written");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("balance_aux");
    TCase *hand = tcase_create("by hand"), *slope = tcase_create("gradients"), *property = tcase_create("properties");
    TCase *error = tcase_create("errors");
    tcase_add_test(hand, variation_by_hand);
    tcase_add_test(hand, importance_by_hand);
    tcase_add_test(hand, load_by_hand);
    tcase_add_test(hand, gshard_by_hand);
    tcase_add_test(hand, xmoe_by_hand);
    tcase_add_test(hand, stable_by_hand);
    tcase_add_test(hand, entropy_by_hand);
    tcase_add_test(hand, deepseek_by_hand);
    tcase_add_test(hand, bias_by_hand);
    tcase_add_test(hand, global_by_hand);
    tcase_add_loop_test(slope, gradient_is_the_slope, 0, PROBLEMS);
    tcase_add_loop_test(slope, a_wrong_gradient_is_seen, 0, PROBLEMS);
    tcase_add_test(property, variation_properties);
    tcase_add_test(property, load_properties);
    tcase_add_test(property, load_is_how_often_an_expert_is_selected);
    tcase_add_test(property, equations_agree_where_the_spec_says_so);
    tcase_add_test(property, balance_and_collapse);
    tcase_add_test(property, entropy_range);
    tcase_add_test(property, bias_only_selects);
    tcase_add_test(property, bias_moves_against_the_load);
    tcase_add_loop_test(error, variation_errors, 0, 3);
    tcase_add_loop_test(error, load_errors, 0, 3);
    tcase_add_loop_test(error, mean_softmax_errors, 0, 3);
    tcase_add_loop_test(error, gshard_and_temperature_errors, 0, 3);
    tcase_add_loop_test(error, stable_errors, 0, 3);
    tcase_add_loop_test(error, entropy_errors, 0, 3);
    tcase_add_loop_test(error, deepseek_errors, 0, 3);
    tcase_add_loop_test(error, overflow_of_the_last_number, 0, 2);
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
