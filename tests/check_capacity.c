/* Chapters E and L: key/value experts, capacity, dispatch, combination, shared experts (spec/01-expert.md and
 * spec/03-layer.md): hand-computed values, gradients by two methods, properties, every error path. */
#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "layer.h"
#include "lone.h"
#include "slopes.h"

#define SAME(got, want, n, what)                                                                                       \
    for (size_t same_k = 0; same_k < (n); same_k++)                                                                    \
    ck_assert_msg((got)[same_k] == (want)[same_k], "%s[%zu] is %a, by hand it is %a", what, same_k, (got)[same_k],     \
                  (want)[same_k])
#define INDEX(got, want, n, what)                                                                                      \
    for (size_t index_k = 0; index_k < (n); index_k++)                                                                 \
    ck_assert_msg((got)[index_k] == (want)[index_k], "%s[%zu] is %zu, expected %zu", what, index_k, (got)[index_k],    \
                  (size_t)(want)[index_k])

enum { OUT = 255 }; /* a dropped assignment, in tables */

static size_t slot_of(int slot) { return slot == OUT ? SMOE_DROPPED : (size_t)slot; }

static bool poison(const void *p, size_t bytes)
{
    const unsigned char *byte = p;
    for (size_t k = 0; k < bytes; k++)
        if (byte[k] != 0x5a) return false;
    return true;
}

static size_t draw_below(uint64_t *seed, size_t n) { return (size_t)((slopes_draw(seed) + 1) / 2 * (double)n); }

/* --- E.5 --- */

/* Spec E.5: two tokens; the third unit is on the kink for both, the first one for the second. */
/* evidence hand: E.5 */
START_TEST(keyvalue_by_hand)
{
    const double x[] = {1, -1, 2, -1}, keys[] = {1, 3, 0, 2, -1, 0}, values[] = {1, 2, -1, 1, 5, 5},
                 dy[] = {1, 2, 1, 0};
    double a[6], u[6], y[4], dx[4], dkeys[6], dvalues[6], da[6];
    ck_assert_int_eq(smoe_expert_keyvalue(2, 2, 3, x, keys, values, a, u, y), SMOE_OK);
    SAME(a, ((double[]){-1, 4, 0, 0, 7, 0}), 6, "E.5 a");
    SAME(u, ((double[]){0, 4, 0, 0, 7, 0}), 6, "E.5 u");
    SAME(y, ((double[]){-4, 4, -7, 7}), 4, "E.5 y");
    ck_assert_int_eq(smoe_expert_keyvalue_vjp(2, 2, 3, x, keys, values, a, u, dy, dx, dkeys, dvalues, da), SMOE_OK);
    SAME(dvalues, ((double[]){0, 0, 11, 8, 0, 0}), 6, "dvalues");
    SAME(da, ((double[]){0, 1, 0, 0, -1, 0}), 6, "da");
    SAME(dkeys, ((double[]){0, -1, 0, 0, 0, 0}), 6, "dkeys");
    SAME(dx, ((double[]){3, -1, -3, 1}), 4, "dx");
}
END_TEST

enum { KT = 4, KD = 3, KH = 5, KN = KT * KD + 2 * KD * KH };

static long double keyvalue_exact(const void *test, const long double *q)
{
    const double *dy = test;
    const long double *keys = q + KT * KD, *values = keys + KD * KH;
    long double phi = 0;
    for (size_t t = 0; t < KT; t++)
        for (size_t k = 0; k < KH; k++) {
            long double a = 0;
            for (size_t c = 0; c < KD; c++) a += q[t * KD + c] * keys[c * KH + k];
            for (size_t c = 0; c < KD && a > 0; c++) phi += dy[t * KD + c] * a * values[k * KD + c];
        }
    return phi;
}

static double keyvalue_library(const void *test, const double *q)
{
    const double *dy = test;
    double a[KT * KH], u[KT * KH], y[KT * KD];
    long double phi = 0;
    ck_assert_int_eq(smoe_expert_keyvalue(KT, KD, KH, q, q + KT * KD, q + KT * KD + KD * KH, a, u, y), SMOE_OK);
    for (size_t k = 0; k < KT * KD; k++) phi += (long double)dy[k] * y[k];
    return (double)phi;
}

/* A draw whose pre-activations are all away from the kink, with its gradient. */
static void keyvalue_settled(uint64_t seed, double *q, double *g, double *dy)
{
    double a[KT * KH], u[KT * KH], y[KT * KD], da[KT * KH];
    const double *keys = q + KT * KD, *values = keys + KD * KH;
    bool good;
    do {
        slopes_fill(&seed, 1, KN, q);
        slopes_fill(&seed, 1, KT * KD, dy);
        ck_assert_int_eq(smoe_expert_keyvalue(KT, KD, KH, q, keys, values, a, u, y), SMOE_OK);
        good = true;
        for (size_t k = 0; k < KT * KH; k++) good = good && fabs(a[k]) > 0.01;
    } while (!good);
    ck_assert_int_eq(
        smoe_expert_keyvalue_vjp(KT, KD, KH, q, keys, values, a, u, dy, g, g + KT * KD, g + KT * KD + KD * KH, da),
        SMOE_OK);
}

/* evidence gradient: E.5 */
START_TEST(keyvalue_gradient_is_the_slope)
{
    double q[KN], g[KN], dy[KT * KD];
    keyvalue_settled((uint64_t)(100 + _i), q, g, dy);
    ck_assert_msg(slopes_order(KN, q, g, keyvalue_exact, dy, 1) > 1.8, "E.5: the remainder is not of order 2");
    ck_assert_msg(slopes_adjoint(KN, q, g, keyvalue_library, dy, 0, KN, 2) <= 1e-8, "E.5: the adjoint identity fails");
    g[(size_t)_i * 7 % KN] += 0.01; /* negative control */
    ck_assert_msg(slopes_order(KN, q, g, keyvalue_exact, dy, 1) < 1.7, "E.5: a wrong gradient passes");
}
END_TEST

/* E.1 with the transposed matrices and biases of 0 gives the same numbers; so does one token after another. */
/* evidence properties: E.5 */
START_TEST(keyvalue_is_the_relu_expert_transposed)
{
    double q[KN], g[KN], dy[KT * KD], w1[KH * KD], w2[KD * KH], zero[KH] = {0}, a[KT * KH], u[KT * KH], y[KT * KD];
    double b[KT * KH], v[KT * KH], z[KT * KD], dx[KT * KD], dw1[KH * KD], db1[KH], dw2[KD * KH], db2[KD], da[KT * KH];
    keyvalue_settled((uint64_t)(200 + _i), q, g, dy);
    const double *keys = q + KT * KD, *values = keys + KD * KH;
    for (size_t c = 0; c < KD; c++)
        for (size_t k = 0; k < KH; k++) {
            w1[k * KD + c] = keys[c * KH + k];
            w2[c * KH + k] = values[k * KD + c];
        }
    ck_assert_int_eq(smoe_expert_keyvalue(KT, KD, KH, q, keys, values, a, u, y), SMOE_OK);
    ck_assert_int_eq(smoe_expert_relu(KT, KD, KH, q, w1, zero, w2, zero, b, v, z), SMOE_OK);
    SAME(y, z, (size_t)(KT * KD), "y");
    ck_assert_int_eq(smoe_expert_relu_vjp(KT, KD, KH, q, w1, w2, b, v, dy, dx, dw1, db1, dw2, db2, da), SMOE_OK);
    SAME(g, dx, (size_t)(KT * KD), "dx");
    for (size_t c = 0; c < KD; c++)
        for (size_t k = 0; k < KH; k++) {
            ck_assert_msg(g[KT * KD + c * KH + k] == dw1[k * KD + c], "dkeys[%zu,%zu]", c, k);
            ck_assert_msg(g[KT * KD + KD * KH + k * KD + c] == dw2[c * KH + k], "dvalues[%zu,%zu]", k, c);
        }
    for (size_t t = 0; t < KT; t++) {
        ck_assert_int_eq(smoe_expert_keyvalue(1, KD, KH, q + t * KD, keys, values, b, v, z), SMOE_OK);
        ck_assert_msg(memcmp(z, y + t * KD, sizeof(double[KD])) == 0, "token %zu alone has other bits", t);
    }
}
END_TEST

START_TEST(keyvalue_errors)
{
    double q[3][2] = {{1, 1}, {1, 1}, {1, 1}}, out[6][2], dy[2] = {1, 1}, *o = out[0];
    memset(out, 0x5a, sizeof out);
    ck_assert_int_eq(smoe_expert_keyvalue(1, 0, 1, q[0], q[1], q[2], o, out[1], out[2]), SMOE_EINVAL);
    ck_assert_int_eq(smoe_expert_keyvalue(1, 1, 0, q[0], q[1], q[2], o, out[1], out[2]), SMOE_EINVAL);
    ck_assert_int_eq(smoe_expert_keyvalue_vjp(1, 0, 1, q[0], q[1], q[2], dy, dy, dy, o, out[1], out[2], out[3]),
                     SMOE_EINVAL);
    ck_assert_int_eq(smoe_expert_keyvalue_vjp(1, 1, 0, q[0], q[1], q[2], dy, dy, dy, o, out[1], out[2], out[3]),
                     SMOE_EINVAL);
    for (int i = 0; i < 6; i++) {
        double bad[6][1] = {{1}, {1}, {1}, {1}, {1}, {1}};
        bad[i][0] = i % 2 ? NAN : INFINITY;
        if (i < 3)
            ck_assert_int_eq(smoe_expert_keyvalue(1, 1, 1, bad[0], bad[1], bad[2], o, out[1], out[2]), SMOE_EDOM);
        ck_assert_int_eq(smoe_expert_keyvalue_vjp(1, 1, 1, bad[0], bad[1], bad[2], bad[3], bad[4], bad[5], o, out[1],
                                                  out[2], out[3]),
                         SMOE_EDOM);
    }
    ck_assert_msg(poison(out, sizeof out), "something was refused, and something was written");
    q[0][0] = -0x1p600, q[1][0] = 0x1p600; /* a = -inf would leave y finite */
    ck_assert_int_eq(smoe_expert_keyvalue(1, 1, 1, q[0], q[1], q[2], o, out[1], out[2]), SMOE_EOVRFLW);
    q[0][0] = 0x1p600, q[1][0] = 1, q[2][0] = 0x1p600;
    ck_assert_int_eq(smoe_expert_keyvalue(1, 1, 1, q[0], q[1], q[2], o, out[1], out[2]), SMOE_EOVRFLW);
    dy[0] = 0x1p600;
    ck_assert_int_eq(smoe_expert_keyvalue_vjp(1, 1, 1, q[0], q[1], q[2], dy, dy, dy, o, out[1], out[2], out[3]),
                     SMOE_EOVRFLW);
}
END_TEST

/* --- L.4 --- */

/* Spec L.4: choices (0,1) (0,1) (1,0) (0,2), weights (1/2,1/2) (3/4,1/4) (7/8,1/8) (5/8,3/8), C = 2. */
static const size_t example_choice[8] = {0, 1, 0, 1, 1, 0, 0, 2};
static const double example_weight[8] = {0.5, 0.5, 0.75, 0.25, 0.875, 0.125, 0.625, 0.375};

/* evidence hand: L.4 */
START_TEST(capacity_by_hand)
{
    size_t C = 0;
    ck_assert_int_eq(smoe_capacity(0.75, 0, SMOE_CEIL, 4, 2, 3, &C), SMOE_OK);
    ck_assert_uint_eq(C, 2);
    ck_assert_int_eq(smoe_capacity(1, 0, SMOE_CEIL, 4, 2, 3, &C), SMOE_OK);
    ck_assert_uint_eq(C, 3); /* 8/3 */
    ck_assert_int_eq(smoe_capacity(1, 0, SMOE_FLOOR, 4, 2, 3, &C), SMOE_OK);
    ck_assert_uint_eq(C, 2);
    ck_assert_int_eq(smoe_capacity(1, 4, SMOE_CEIL, 4, 2, 3, &C), SMOE_OK);
    ck_assert_uint_eq(C, 4);
    ck_assert_int_eq(smoe_capacity(1.1, 0, SMOE_CEIL, 100, 1, 1, &C), SMOE_OK);
    ck_assert_uint_eq(C, 111); /* 1.1 * 100 is 110.00000000000001 in binary64 */
    ck_assert_int_eq(smoe_capacity(0, 0, SMOE_CEIL, 4, 2, 3, &C), SMOE_OK);
    ck_assert_uint_eq(C, 0);
    ck_assert_int_eq(smoe_capacity(0x1p53, 0, SMOE_CEIL, 1, 1, 1, &C), SMOE_OK);
    ck_assert_msg(C == SIZE_MAX, "2^53 places are %zu", C);
}
END_TEST

/* evidence hand: L.4 */
START_TEST(slots_by_hand)
{
    static const int want[3][8] = {
        {0, 1, 1, OUT, 0, OUT, OUT, 0}, {0, 0, 1, 1, OUT, OUT, OUT, 0}, {OUT, 1, 0, OUT, 0, OUT, 1, 0}};
    for (int row = 0; row < 3; row++) {
        size_t queue[8], load[3], slot[8];
        ck_assert_int_eq(smoe_queue(row == 1 ? SMOE_BY_TOKEN : SMOE_BY_CHOICE, 4, 2, queue), SMOE_OK);
        if (row == 0) INDEX(queue, ((size_t[]){0, 2, 4, 6, 1, 3, 5, 7}), 8, "queue by choice");
        const smoe_status status = row < 2
                                       ? smoe_slots_first(8, 3, 2, example_choice, queue, load, slot)
                                       : smoe_slots_largest(8, 3, 2, example_choice, example_weight, queue, load, slot);
        ck_assert_int_eq(status, SMOE_OK);
        for (size_t a = 0; a < 8; a++)
            ck_assert_msg(slot[a] == slot_of(want[row][a]), "row %d of the table: slot of assignment %zu is %zu", row,
                          a, slot[a]);
        INDEX(load, ((size_t[]){2, 2, 1}), 3, "load");
    }
}
END_TEST

typedef struct {
    smoe_capacity_shape s;
    smoe_capacity_out out;
    smoe_capacity_kept kept;
    double r[64], weight[64], margin[64], gate[64], p[64], dweight[64], dr[64], work[64];
    size_t index[64], slot[64], load[64], queue[64];
} gate;

static gate *gate_new(smoe_capacity_shape s)
{
    gate *g = malloc(sizeof *g);
    memset(g, 0x5a, sizeof *g);
    g->s = s;
    g->out = (smoe_capacity_out){g->index, g->weight, g->margin, g->slot, g->load};
    g->kept = (smoe_capacity_kept){g->gate, g->p, g->queue};
    return g;
}

static smoe_status gate_run(gate *g) { return smoe_capacity_gate(&g->s, g->r, &g->out, &g->kept); }
static smoe_status gate_vjp(gate *g)
{
    return smoe_capacity_gate_vjp(&g->s, &g->out, &g->kept, g->dweight, g->dr, g->work);
}

/* evidence hand: L.4 */
START_TEST(capacity_gate_by_hand)
{
    static const double r[] = {0, 0, -2000, 0, 0, -2000, 0, 2000, -2000, 0, -2000, 0},
                        dweight[] = {1, 0, 0, 7, 3, 3, 5, 1};
    gate *g = gate_new((smoe_capacity_shape){SMOE_TOPK_SOFTMAX, SMOE_BY_CHOICE, SMOE_KEEP_FIRST, 4, 3, 2, 2});
    memcpy(g->r, r, sizeof r);
    memcpy(g->dweight, dweight, sizeof dweight);
    ck_assert_int_eq(gate_run(g), SMOE_OK);
    INDEX(g->index, example_choice, 8, "index");
    SAME(g->weight, ((double[]){0.5, 0.5, 0.5, 0, 1, 0, 0, 0.5}), 8, "weight");
    SAME(g->margin, ((double[]){2000, 2000, 2000, 2000}), 4, "margin");
    INDEX(g->load, ((size_t[]){2, 2, 1}), 3, "load");
    ck_assert_int_eq(gate_vjp(g), SMOE_OK);
    SAME(g->dr, ((double[]){0.25, -0.25, 0, 0, 0, 0, 0, 0, 0, -0.25, 0, 0.25}), 12, "dr");
    free(g);
}
END_TEST

enum { GATES = 12 }; /* 3 orders, 2 priorities, 2 ways to keep */
static smoe_capacity_shape shape_of(int i, size_t T, size_t N, size_t K, size_t C)
{
    return (smoe_capacity_shape){
        (smoe_weight_order)(i % 3), (smoe_priority)(i / 3 % 2), (smoe_keep)(i / 6), T, N, K, C};
}

static long double gate_exact(const void *test, const long double *r)
{
    const gate *g = test;
    const size_t N = g->s.N, K = g->s.K;
    long double phi = 0;
    for (size_t t = 0; t < g->s.T; t++) {
        long double all = 0, chosen = 0;
        for (size_t i = 0; i < N; i++) all += expl(r[t * N + i]);
        for (size_t j = 0; j < K; j++) chosen += expl(r[t * N + g->index[t * K + j]]);
        for (size_t a = t * K; a < t * K + K; a++)
            if (g->slot[a] != SMOE_DROPPED)
                phi += g->dweight[a] * expl(r[t * N + g->index[a]]) / (g->s.order == SMOE_SOFTMAX_TOPK ? all : chosen);
    }
    return phi;
}

static double gate_library(const void *test, const double *r)
{
    gate g = *(const gate *)test;
    g.out = (smoe_capacity_out){g.index, g.weight, g.margin, g.slot, g.load};
    g.kept = (smoe_capacity_kept){g.gate, g.p, g.queue};
    memcpy(g.r, r, g.s.T * g.s.N * sizeof *r);
    ck_assert_int_eq(gate_run(&g), SMOE_OK);
    long double phi = 0;
    for (size_t a = 0; a < g.s.T * g.s.K; a++) phi += (long double)g.dweight[a] * g.weight[a];
    return (double)phi;
}

/* evidence gradient: L.4 */
START_TEST(capacity_gradient_is_the_slope)
{
    gate *g = gate_new(shape_of(_i, 7, 5, 3, 3));
    uint64_t seed = 300;
    slopes_fill(&seed, 2, 64, g->r);
    slopes_fill(&seed, 1, 64, g->dweight);
    ck_assert_int_eq(gate_run(g), SMOE_OK);
    ck_assert_int_eq(gate_vjp(g), SMOE_OK);
    size_t kept = 0;
    for (size_t i = 0; i < 5; i++) kept += g->load[i];
    ck_assert_msg(kept < 21, "nobody was dropped: the draw shows nothing");
    ck_assert_msg(slopes_order(35, g->r, g->dr, gate_exact, g, 1) > 1.8, "variant %d: the remainder is not of order 2",
                  _i);
    ck_assert_msg(slopes_adjoint(35, g->r, g->dr, gate_library, g, 0, 35, 2) <= 1e-8, "variant %d: adjoint identity",
                  _i);
    g->dr[(size_t)_i] += 0.01; /* negative control */
    ck_assert_msg(slopes_order(35, g->r, g->dr, gate_exact, g, 1) < 1.7, "variant %d: a wrong gradient passes", _i);
    free(g);
}
END_TEST

/* Against the definition: kept are those with fewer than C before them, places are ranks of the kept in the queue. */
/* evidence properties: L.4 */
START_TEST(capacity_is_its_definition)
{
    uint64_t seed = (uint64_t)(400 + _i);
    for (size_t C = 0; C <= 7; C++) {
        enum { T = 7, N = 4, K = 2, A = T * K };
        gate *g = gate_new(shape_of(_i, T, N, K, C));
        slopes_fill(&seed, 1, 64, g->r);
        for (size_t k = 0; k < N; k++) g->r[k] = g->r[N + k]; /* two equal tokens: weights tie */
        ck_assert_int_eq(gate_run(g), SMOE_OK);
        for (size_t a = 0; a < A; a++) {
            size_t before = 0, place = 0;
            for (size_t b = 0; b < A; b++) {
                if (b == a || g->index[b] != g->index[a]) continue;
                const bool earlier =
                    g->s.priority == SMOE_BY_TOKEN ? b < a : b % K < a % K || (b % K == a % K && b < a);
                const bool heavier = g->gate[b] > g->gate[a] || (g->gate[b] == g->gate[a] && earlier);
                before += g->s.keep == SMOE_KEEP_FIRST ? earlier : heavier;
                place += earlier && g->slot[b] != SMOE_DROPPED;
            }
            ck_assert_msg((before < C) == (g->slot[a] != SMOE_DROPPED), "C = %zu: assignment %zu has %zu before it", C,
                          a, before);
            ck_assert_msg(before >= C || g->slot[a] == place, "C = %zu: assignment %zu is at place %zu", C, a,
                          g->slot[a]);
            ck_assert_msg(g->weight[a] == (before < C ? g->gate[a] : 0), "C = %zu: weight of assignment %zu", C, a);
        }
        for (size_t i = 0; i < N; i++) ck_assert_uint_le(g->load[i], C);
        free(g);
    }
}
END_TEST

/* C = T and more: nothing is dropped, weights and gradient are those of G.2 to G.4 bit for bit.  C = 0: exact zeros. */
/* evidence properties: L.4 */
START_TEST(capacity_beyond_the_tokens)
{
    enum { T = 6, N = 4, K = 2 };
    const size_t C[] = {T, T + 1, SIZE_MAX, 0};
    uint64_t seed = (uint64_t)(500 + _i);
    for (int c = 0; c < 4; c++) {
        gate *g = gate_new(shape_of(_i, T, N, K, C[c]));
        double weight[T * K], margin[T], p[T * N], dr[T * N], work[N];
        size_t index[T * K];
        slopes_fill(&seed, 1, 64, g->r);
        slopes_fill(&seed, 1, 64, g->dweight);
        ck_assert_int_eq(gate_run(g), SMOE_OK);
        ck_assert_int_eq(gate_vjp(g), SMOE_OK);
        ck_assert_int_eq(smoe_gate_weights(g->s.order, T, N, K, g->r, index, weight, margin, p), SMOE_OK);
        ck_assert_int_eq(smoe_gate_weights_vjp(g->s.order, T, N, K, index, weight, p, g->dweight, dr, work), SMOE_OK);
        for (size_t k = 0; k < T * K; k++)
            ck_assert_msg(g->weight[k] == (C[c] ? weight[k] : 0), "C = %zu: weight[%zu] is %a", C[c], k, g->weight[k]);
        for (size_t k = 0; k < T * N; k++)
            ck_assert_msg(g->dr[k] == (C[c] ? dr[k] : 0), "C = %zu: dr[%zu] is %a", C[c], k, g->dr[k]);
        free(g);
    }
}
END_TEST

START_TEST(capacity_errors)
{
    size_t C = 77, z[4] = {0, 1, 1, 0}, load[2], slot[4];
    ck_assert_int_eq(smoe_capacity(1, 0, SMOE_CEIL, 1, 0, 1, &C), SMOE_EINVAL);
    ck_assert_int_eq(smoe_capacity(1, 0, SMOE_CEIL, 1, 1, 0, &C), SMOE_EINVAL);
    ck_assert_int_eq(smoe_capacity(NAN, 0, (smoe_rounding)7, 1, 1, 1, &C), SMOE_EINVAL);
    ck_assert_int_eq(smoe_capacity(NAN, 0, SMOE_CEIL, 1, 1, 1, &C), SMOE_EDOM);
    ck_assert_int_eq(smoe_capacity(INFINITY, 0, SMOE_CEIL, 1, 1, 1, &C), SMOE_EDOM);
    ck_assert_int_eq(smoe_capacity(-0x1p-1074, 0, SMOE_FLOOR, 1, 1, 1, &C), SMOE_EDOM);
    ck_assert_uint_eq(C, 77);
    ck_assert_int_eq(smoe_queue((smoe_priority)7, 2, 2, z), SMOE_EINVAL);
    memset(load, 0x5a, sizeof load), memset(slot, 0x5a, sizeof slot);
    const size_t far[] = {0, 2, 1, 0}, behind[] = {0, 1, 4, 2}, queue[] = {0, 1, 2, 3};
    double weight[] = {1, 1, 1, NAN};
    ck_assert_int_eq(smoe_slots_first(4, 2, 1, far, queue, load, slot), SMOE_EDOM);
    ck_assert_int_eq(smoe_slots_first(4, 2, 1, z, behind, load, slot), SMOE_EDOM);
    ck_assert_int_eq(smoe_slots_largest(4, 2, 1, z, weight, queue, load, slot), SMOE_EDOM);
    weight[3] = 1;
    ck_assert_int_eq(smoe_slots_largest(4, 2, 1, far, weight, queue, load, slot), SMOE_EDOM);
    ck_assert_int_eq(smoe_slots_largest(4, 2, 1, z, weight, behind, load, slot), SMOE_EDOM);
    ck_assert_msg(poison(load, sizeof load) && poison(slot, sizeof slot), "refused, but something was written");

    const smoe_capacity_shape good = {SMOE_TOPK_SOFTMAX, SMOE_BY_CHOICE, SMOE_KEEP_FIRST, 2, 3, 2, 1};
    smoe_capacity_shape bad[5] = {good, good, good, good, good};
    bad[0].K = 0, bad[1].K = 4, bad[2].keep = (smoe_keep)7, bad[3].priority = (smoe_priority)7;
    bad[4].order = (smoe_weight_order)7;
    for (int i = 0; i < 6; i++) {
        gate *g = gate_new(i < 5 ? bad[i] : good);
        for (size_t k = 0; k < 64; k++) g->r[k] = g->dweight[k] = i < 5 ? NAN : 1;
        g->r[5] = NAN;
        ck_assert_int_eq(gate_run(g), i < 5 ? SMOE_EINVAL : SMOE_EDOM);
        ck_assert_msg(poison(g->weight, sizeof g->weight) && poison(g->slot, sizeof g->slot), "shape %d: written", i);
        if (i < 4) ck_assert_int_eq(gate_vjp(g), SMOE_EINVAL);
        if (i == 5) {
            g->r[5] = 1;
            ck_assert_int_eq(gate_run(g), SMOE_OK);
            g->dweight[2] = INFINITY;
            ck_assert_int_eq(gate_vjp(g), SMOE_EDOM);
        }
        ck_assert_msg(poison(g->dr, sizeof g->dr), "shape %d: a gradient was written", i);
        free(g);
    }
}
END_TEST

/* --- L.5, L.6 --- */

/* The two tables of slots of spec L.4 that spec L.5 and L.6 go on with. */
static const int by_choice[8] = {0, 1, 1, OUT, 0, OUT, OUT, 0}, by_token[8] = {0, 0, 1, 1, OUT, OUT, OUT, 0};

static const size_t *slots(const int *table, size_t *slot)
{
    for (size_t a = 0; a < 8; a++) slot[a] = slot_of(table[a]);
    return slot;
}

/* evidence hand: L.5 */
START_TEST(dispatch_to_buffers_by_hand)
{
    const double x[] = {1, 2, 4, 8}, dxe[] = {1, 10, 100, 1000, 10000, 5};
    double xe[6], dx[4];
    size_t slot[8];
    ck_assert_int_eq(smoe_buffer_dispatch(4, 1, 3, 2, 2, x, example_choice, slots(by_choice, slot), xe), SMOE_OK);
    SAME(xe, ((double[]){1, 2, 4, 1, 8, 0}), 6, "xe by choice");
    ck_assert_int_eq(smoe_buffer_dispatch_vjp(4, 1, 3, 2, 2, example_choice, slot, dxe, dx), SMOE_OK);
    SAME(dx, ((double[]){1001, 10, 100, 10000}), 4, "dx by choice");
    ck_assert_int_eq(smoe_buffer_dispatch(4, 1, 3, 2, 2, x, example_choice, slots(by_token, slot), xe), SMOE_OK);
    SAME(xe, ((double[]){1, 2, 1, 2, 8, 0}), 6, "xe by token");
    ck_assert_int_eq(smoe_buffer_dispatch_vjp(4, 1, 3, 2, 2, example_choice, slot, dxe, dx), SMOE_OK);
    SAME(dx, ((double[]){101, 1010, 0, 10000}), 4, "dx by token");
}
END_TEST

/* evidence hand: L.6 */
START_TEST(combination_of_buffers_by_hand)
{
    const double o[] = {1, 2, 4, 8, 16, 32}, weight[] = {1, 2, 3, 4, 5, 6, 7, 8}, x[] = {1, 2, 4, 8},
                 dy[] = {1, 1, 1, 1};
    for (int pass = 0; pass < 2; pass++) {
        const smoe_overflow overflow = pass ? SMOE_OVERFLOW_PASS : SMOE_OVERFLOW_ZERO;
        double y[4], do_[6], dweight[8], dx[4];
        size_t slot[8];
        const size_t *s = slots(by_token, slot);
        ck_assert_int_eq(smoe_buffer_combine(overflow, 4, 1, 3, 2, 2, o, weight, example_choice, s, x, y), SMOE_OK);
        SAME(y, ((double[]){9, 38, pass ? 4 : 0, 128}), 4, "y");
        ck_assert_int_eq(
            smoe_buffer_combine_vjp(overflow, 4, 1, 3, 2, 2, o, weight, example_choice, s, dy, do_, dweight, dx),
            SMOE_OK);
        SAME(do_, ((double[]){1, 3, 2, 4, 8, 0}), 6, "do");
        SAME(dweight, ((double[]){1, 4, 2, 8, 0, 0, 0, 16}), 8, "dweight");
        SAME(dx, ((double[]){0, 0, pass, 0}), 4, "dx");
    }
}
END_TEST

/* A batch with its places: o | weight | x in one array. */
enum { BT = 6, BD = 3, BN = 4, BK = 2, BC = 3, BA = BT * BK, BO = BN * BC * BD, BX = BT * BD, BALL = BO + BA + BX };
typedef struct {
    smoe_overflow overflow;
    size_t index[BA], slot[BA], load[BN];
    double q[BALL], g[BALL], cot[BO + BX]; /* cot: of xe, of y */
} batch;

static void draw_batch(batch *b, smoe_overflow overflow, smoe_priority priority, size_t C, uint64_t seed)
{
    size_t queue[BA];
    b->overflow = overflow;
    for (size_t t = 0; t < BT; t++) {
        b->index[t * BK] = draw_below(&seed, BN);
        b->index[t * BK + 1] = (b->index[t * BK] + 1 + draw_below(&seed, BN - 1)) % BN;
    }
    b->index[BA - 2] = b->index[0], b->index[BA - 1] = b->index[1]; /* the last token comes late */
    b->index[4] = b->index[6] = b->index[0], b->index[5] = b->index[7] = b->index[1];
    ck_assert_int_eq(smoe_queue(priority, BT, BK, queue), SMOE_OK);
    ck_assert_int_eq(smoe_slots_first(BA, BN, C, b->index, queue, b->load, b->slot), SMOE_OK);
    slopes_fill(&seed, 1, BALL, b->q);
    slopes_fill(&seed, 1, BO + BX, b->cot);
}

static long double combine_exact(const void *test, const long double *q)
{
    const batch *b = test;
    const double *dy = b->cot + BO;
    long double phi = 0;
    for (size_t t = 0; t < BT; t++) {
        bool kept = false;
        for (size_t a = t * BK; a < t * BK + BK; a++) {
            if (b->slot[a] == SMOE_DROPPED) continue;
            kept = true;
            for (size_t k = 0; k < BD; k++)
                phi += dy[t * BD + k] * q[BO + a] * q[(b->index[a] * BC + b->slot[a]) * BD + k];
        }
        for (size_t k = 0; !kept && b->overflow == SMOE_OVERFLOW_PASS && k < BD; k++)
            phi += dy[t * BD + k] * q[BO + BA + t * BD + k];
    }
    return phi;
}

static double combine_library(const void *test, const double *q)
{
    const batch *b = test;
    double y[BX];
    long double phi = 0;
    ck_assert_int_eq(smoe_buffer_combine(b->overflow, BT, BD, BN, BK, BC, q, q + BO, b->index, b->slot, q + BO + BA, y),
                     SMOE_OK);
    for (size_t k = 0; k < BX; k++) phi += (long double)b->cot[BO + k] * y[k];
    return (double)phi;
}

/* <cot, xe> + 1/2 |xe|^2: the second term makes it curved, which the order of a remainder needs. */
static long double dispatch_exact(const void *test, const long double *x)
{
    const batch *b = test;
    long double phi = 0;
    for (size_t a = 0; a < BA; a++)
        for (size_t k = 0; b->slot[a] != SMOE_DROPPED && k < BD; k++) {
            const long double v = x[a / BK * BD + k];
            phi += (b->cot[(b->index[a] * BC + b->slot[a]) * BD + k] + v / 2) * v;
        }
    return phi;
}

static double dispatch_library(const void *test, const double *x)
{
    const batch *b = test;
    double xe[BO];
    long double phi = 0;
    ck_assert_int_eq(smoe_buffer_dispatch(BT, BD, BN, BK, BC, x, b->index, b->slot, xe), SMOE_OK);
    for (size_t k = 0; k < BO; k++) phi += ((long double)b->cot[k] + (long double)xe[k] / 2) * xe[k];
    return (double)phi;
}

/* evidence gradient: L.5 L.6 */
START_TEST(buffer_gradients_are_the_slopes)
{
    batch b;
    draw_batch(&b, (smoe_overflow)(_i % 2), (smoe_priority)(_i / 2), BC, (uint64_t)(600 + _i));
    ck_assert_int_eq(smoe_buffer_combine_vjp(b.overflow, BT, BD, BN, BK, BC, b.q, b.q + BO, b.index, b.slot, b.cot + BO,
                                             b.g, b.g + BO, b.g + BO + BA),
                     SMOE_OK);
    ck_assert_msg(slopes_order(BALL, b.q, b.g, combine_exact, &b, 1) > 1.8, "L.6: the remainder is not of order 2");
    ck_assert_msg(slopes_adjoint(BALL, b.q, b.g, combine_library, &b, 0, BALL, 2) <= 1e-8, "L.6: adjoint identity");
    b.g[BO] += 0.01; /* negative control: a weight */
    ck_assert_msg(slopes_order(BALL, b.q, b.g, combine_exact, &b, 1) < 1.7, "L.6: a wrong gradient passes");

    double dx[BX], dxe[BO], *x = b.q + BO + BA;
    ck_assert_int_eq(smoe_buffer_dispatch(BT, BD, BN, BK, BC, x, b.index, b.slot, dxe), SMOE_OK);
    for (size_t k = 0; k < BO; k++) dxe[k] += b.cot[k];
    ck_assert_int_eq(smoe_buffer_dispatch_vjp(BT, BD, BN, BK, BC, b.index, b.slot, dxe, dx), SMOE_OK);
    ck_assert_msg(slopes_order(BX, x, dx, dispatch_exact, &b, 1) > 1.8, "L.5: the remainder is not of order 2");
    ck_assert_msg(slopes_adjoint(BX, x, dx, dispatch_library, &b, 0, BX, 2) <= 1e-8, "L.5: adjoint identity");
    dx[0] += 0.01;
    ck_assert_msg(slopes_order(BX, x, dx, dispatch_exact, &b, 1) < 1.7, "L.5: a wrong gradient passes");
}
END_TEST

/* Every kept assignment finds its token at its place, all other places are 0; back again with weights 1 a token comes
 * out as often as it was kept. */
/* evidence properties: L.5 L.6 */
START_TEST(dispatch_and_combination_are_inverse)
{
    for (size_t C = 0; C <= BC; C++) {
        batch b;
        draw_batch(&b, SMOE_OVERFLOW_ZERO, (smoe_priority)_i, C, (uint64_t)(700 + C));
        const double *x = b.q + BO + BA;
        double xe[BO + 1], y[BX], one[BA];
        xe[BN * C * BD] = 4711;
        for (size_t a = 0; a < BA; a++) one[a] = 1;
        ck_assert_int_eq(smoe_buffer_dispatch(BT, BD, BN, BK, C, x, b.index, b.slot, xe), SMOE_OK);
        ck_assert_msg(xe[BN * C * BD] == 4711, "C = %zu: written past the buffers", C);
        for (size_t i = 0; i < BN; i++)
            for (size_t c = b.load[i]; c < C; c++)
                for (size_t k = 0; k < BD; k++) ck_assert_msg(xe[(i * C + c) * BD + k] == 0, "place %zu of %zu", c, i);
        ck_assert_int_eq(smoe_buffer_combine(b.overflow, BT, BD, BN, BK, C, xe, one, b.index, b.slot, x, y), SMOE_OK);
        for (size_t t = 0; t < BT; t++)
            for (size_t k = 0; k < BD; k++) {
                const double times = (b.slot[2 * t] != SMOE_DROPPED) + (b.slot[2 * t + 1] != SMOE_DROPPED);
                ck_assert_msg(y[t * BD + k] == times * x[t * BD + k], "C = %zu: token %zu", C, t);
            }
    }
}
END_TEST

/* With room for all, buffers are lists with holes: L.6 has the bits of L.3, forward and gradient. */
/* evidence properties: L.6 */
START_TEST(room_for_all_is_the_combination_of_lists)
{
    enum { C = BT };
    size_t offset[BN + 1], list[BA], where[BA];
    double o[BN * C * BD], by_place[BA * BD], y[BX], z[BX], do_[BN * C * BD], dw[BA], dx[BX], dlist[BA * BD], dv[BA];
    batch b;
    draw_batch(&b, (smoe_overflow)(_i % 2), SMOE_BY_TOKEN, C, 800);
    uint64_t seed = 801;
    slopes_fill(&seed, 1, BN * C * BD, o);
    ck_assert_int_eq(smoe_dispatch(BA, BN, b.index, offset, list, where), SMOE_OK);
    for (size_t a = 0; a < BA; a++)
        memcpy(by_place + where[a] * BD, o + (b.index[a] * C + b.slot[a]) * BD, sizeof(double[BD]));
    const double *weight = b.q + BO, *x = weight + BA, *dy = b.cot + BO;
    ck_assert_int_eq(smoe_combine(BT, BD, BK, weight, where, by_place, z), SMOE_OK);
    ck_assert_int_eq(smoe_buffer_combine(b.overflow, BT, BD, BN, BK, C, o, weight, b.index, b.slot, x, y), SMOE_OK);
    SAME(y, z, (size_t)BX, "y");
    ck_assert_int_eq(smoe_combine_vjp(BT, BD, BK, weight, where, by_place, dy, dlist, dv), SMOE_OK);
    ck_assert_int_eq(
        smoe_buffer_combine_vjp(b.overflow, BT, BD, BN, BK, C, o, weight, b.index, b.slot, dy, do_, dw, dx), SMOE_OK);
    SAME(dw, dv, (size_t)BA, "dweight");
    for (size_t k = 0; k < BX; k++) ck_assert_msg(dx[k] == 0, "a kept token passes");
    for (size_t a = 0; a < BA; a++)
        SAME(do_ + (b.index[a] * C + b.slot[a]) * BD, dlist + where[a] * BD, (size_t)BD, "do");
}
END_TEST

START_TEST(buffer_errors)
{
    const smoe_overflow zero = SMOE_OVERFLOW_ZERO, pass = SMOE_OVERFLOW_PASS;
    double q[4] = {1, 1, 1, 1}, out[4][4];
    const size_t index[] = {0}, slot[] = {0}, far[] = {1}, late[] = {1}, none[] = {SMOE_DROPPED};
    memset(out, 0x5a, sizeof out);
    ck_assert_int_eq(smoe_buffer_dispatch(1, 0, 1, 1, 1, q, index, slot, out[0]), SMOE_EINVAL);
    ck_assert_int_eq(smoe_buffer_dispatch(1, 1, 1, 0, 1, q, index, slot, out[0]), SMOE_EINVAL);
    ck_assert_int_eq(smoe_buffer_dispatch_vjp(1, 0, 1, 1, 1, index, slot, q, out[0]), SMOE_EINVAL);
    ck_assert_int_eq(smoe_buffer_dispatch_vjp(1, 1, 1, 0, 1, index, slot, q, out[0]), SMOE_EINVAL);
    ck_assert_int_eq(smoe_buffer_combine(zero, 1, 0, 1, 1, 1, q, q, index, slot, q, out[0]), SMOE_EINVAL);
    ck_assert_int_eq(smoe_buffer_combine(pass, 1, 1, 1, 0, 1, q, q, index, slot, q, out[0]), SMOE_EINVAL);
    ck_assert_int_eq(smoe_buffer_combine((smoe_overflow)7, 1, 1, 1, 1, 1, q, q, index, slot, q, out[0]), SMOE_EINVAL);
    ck_assert_int_eq(smoe_buffer_combine_vjp(zero, 1, 0, 1, 1, 1, q, q, index, slot, q, out[0], out[1], out[2]),
                     SMOE_EINVAL);
    for (int i = 0; i < 5; i++) {
        double bad[3] = {1, 1, 1};
        if (i < 3) bad[i] = i % 2 ? INFINITY : NAN;
        const size_t *at = i == 3 ? far : index, *in = i == 4 ? late : slot;
        if (i == 0 || i > 2) {
            ck_assert_int_eq(smoe_buffer_dispatch(1, 1, 1, 1, 1, bad, at, in, out[0]), SMOE_EDOM);
            ck_assert_int_eq(smoe_buffer_dispatch_vjp(1, 1, 1, 1, 1, at, in, bad, out[0]), SMOE_EDOM);
        }
        ck_assert_int_eq(smoe_buffer_combine(pass, 1, 1, 1, 1, 1, bad, bad + 1, at, in, bad + 2, out[0]), SMOE_EDOM);
        ck_assert_int_eq(
            smoe_buffer_combine_vjp(pass, 1, 1, 1, 1, 1, bad, bad + 1, at, in, bad + 2, out[0], out[1], out[2]),
            SMOE_EDOM);
    }
    ck_assert_msg(poison(out, sizeof out), "refused, but something was written");
    ck_assert(!smoe_any_kept(1, none) && smoe_any_kept(1, slot) && !smoe_any_kept(0, slot));
    const double big[] = {0x1p600, 0x1p600}, top[] = {0x1.8p1023, 0x1.8p1023};
    const size_t two[] = {0, 1}, first[] = {0, 0};
    ck_assert_int_eq(smoe_buffer_combine(zero, 1, 1, 1, 1, 1, big, big, index, slot, q, out[0]), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_buffer_combine_vjp(zero, 1, 1, 1, 1, 1, big, q, index, slot, big, out[0], out[1], out[2]),
                     SMOE_EOVRFLW); /* <dy, o> */
    ck_assert_int_eq(smoe_buffer_combine_vjp(zero, 1, 1, 1, 1, 1, q, big, index, slot, big, out[0], out[1], out[2]),
                     SMOE_EOVRFLW); /* weight dy */
    ck_assert_int_eq(smoe_buffer_dispatch_vjp(1, 1, 2, 2, 1, two, first, top, out[0]), SMOE_EOVRFLW);
}
END_TEST

/* --- L.7 --- */

enum { SIN = 11 };
static const char *const block_name[SIN] = {"x", "wr", "br", "w1", "b1", "w2", "b2", "ws1", "bs1", "ws2", "bs2"};

/* q: the eleven inputs one after the other; g their gradient. */
typedef struct {
    smoe_shared_form form;
    size_t M, at[SIN + 1];
    smoe_layer_shape s;
    double q[400], g[400], y[64], r[64], weight[64], margin[16], dy[64], dweight[64];
    double p[64], xs[128], o[128], a[128], u[128], sa[128], su[128], e[64], z[64], work[1000];
    size_t index[64], offset[16], slot[64], place[64];
} shared;

static shared *shared_new(smoe_shared_form form, smoe_layer_shape s, size_t M)
{
    shared *l = malloc(sizeof *l);
    memset(l, 0x5a, sizeof *l);
    const size_t d = s.d, h = s.h, N = s.N;
    const size_t size[SIN] = {s.T * d, N * d,     N,     N * h * d, N * h, N * d * h,
                              N * d,   M * h * d, M * h, M * d * h, M * d};
    l->form = form, l->s = s, l->M = M, l->at[0] = 0;
    for (int b = 0; b < SIN; b++) l->at[b + 1] = l->at[b] + size[b];
    ck_assert(l->at[SIN] <= 400 && smoe_shared_layer_vjp_work(&s) <= 1000);
    return l;
}

static smoe_status shared_run(shared *l, const double *q)
{
    const size_t *at = l->at;
    const smoe_layer_in in = {q, q + at[1], q + at[2], q + at[3], q + at[4], q + at[5], q + at[6]};
    const smoe_shared_in more = {q + at[7], q + at[8], q + at[9], q + at[10]};
    const smoe_layer_out out = {l->y, l->r, l->index, l->weight, l->margin};
    const smoe_layer_kept kept = {l->offset, l->slot, l->place, l->p, l->xs, l->o, l->a, l->u};
    const smoe_shared_kept own = {l->sa, l->su, l->e, l->z};
    return smoe_shared_layer(l->form, l->M, &l->s, &in, &more, &out, &kept, &own);
}

static smoe_status shared_vjp(shared *l, const double *dweight)
{
    const size_t *at = l->at;
    double *q = l->q, *g = l->g;
    const smoe_layer_in in = {q, q + at[1], q + at[2], q + at[3], q + at[4], q + at[5], q + at[6]};
    const smoe_shared_in more = {q + at[7], q + at[8], q + at[9], q + at[10]};
    const smoe_layer_out out = {l->y, l->r, l->index, l->weight, l->margin};
    const smoe_layer_kept kept = {l->offset, l->slot, l->place, l->p, l->xs, l->o, l->a, l->u};
    const smoe_shared_kept own = {l->sa, l->su, l->e, l->z};
    const smoe_layer_grad grad = {g, g + at[1], g + at[2], g + at[3], g + at[4], g + at[5], g + at[6]};
    const smoe_shared_grad rest = {g + at[7], g + at[8], g + at[9], g + at[10]};
    return smoe_shared_layer_vjp(l->form, l->M, &l->s, &in, &more, &out, &kept, &own, l->dy, dweight, &grad, &rest,
                                 l->work);
}

/* The layer of spec L.3 (three experts, the third idle) and the shared expert of spec L.7. */
static shared *shared_by_hand(smoe_shared_form form)
{
    static const double q[] = {
        2, 3, -1, 1, /* x */ 1, 0, 3,          -3, 0,           0,           /* wr */ 0, 5,           -2000, /* br */
        1, 0, 0,  1, 9,         9, /* w1 */ 0, 1,  9,           /* b1 */ 1,  2,          -1,          1,
        9, 9, /* w2 */
        0, 0, 1,  1, 9,         9, /* b2 */ 1, 0,  /* ws1 */ 0, /* bs1 */ 2, 0,          /* ws2 */ 0, 1 /* bs2 */};
    static const double dy[] = {2, 4, 2, 0};
    shared *l = shared_new(form, (smoe_layer_shape){SMOE_TOPK_SOFTMAX, SMOE_RELU, 2, 2, 1, 3, 2}, 1);
    memcpy(l->q, q, sizeof q);
    memcpy(l->dy, dy, sizeof dy);
    return l;
}

/* evidence hand: L.7 */
START_TEST(shared_experts_by_hand)
{
    static const double y[3][4] = {{3.5, 5.5, -0.5, 2.5}, {1.75, 2.75, -0.25, 1.25}, {5.5, 8.5, -1.5, 3.5}};
    static const double dx[3][4] = {{6, 5.5, -1, 0.5}, {3, 2.75, -0.5, 0.25}, {8, 9.5, 1, 0.5}};
    const double half = _i == SMOE_SHARED_HALF ? 0.5 : 1;
    shared *l = shared_by_hand((smoe_shared_form)_i);
    ck_assert_int_eq(shared_run(l, l->q), SMOE_OK);
    SAME(l->y, y[_i], 4, "y");
    SAME(l->weight, ((double[]){0.5, 0.5, 0.5, 0.5}), 4, "weight");
    ck_assert_int_eq(shared_vjp(l, NULL), SMOE_OK);
    SAME(l->g, dx[_i], 4, "dx");
    SAME(l->g + l->at[7], ((double[]){8 * half, 12 * half}), 2, "dws1");
    SAME(l->g + l->at[8], ((double[]){4 * half}), 1, "dbs1");
    SAME(l->g + l->at[9], ((double[]){4 * half, 8 * half}), 2, "dws2");
    SAME(l->g + l->at[10], ((double[]){4 * half, 4 * half}), 2, "dbs2");
    SAME(l->g + l->at[2], ((double[]){2 * half, -2 * half, 0}), 3, "dbr");
    SAME(l->g + l->at[5], ((double[]){2 * half, 4 * half, 6 * half, 8 * half, 0, 0}), 6, "dw2");
    free(l);
}
END_TEST

static long double phi_of(smoe_activation f, long double a)
{
    if (f == SMOE_RELU) return a > 0 ? a : 0;
    return a / 2 * (1 + erfl(a / sqrtl(2)));
}

/* <dy_t, E(x_t)> for expert i of the tensors in blocks b .. b+3. */
static long double expert_exact(const shared *l, const long double *q, int b, size_t i, size_t t)
{
    const size_t d = l->s.d, h = l->s.h;
    long double s = 0;
    for (size_t k = 0; k < d; k++) s += l->dy[t * d + k] * q[l->at[b + 3] + i * d + k];
    for (size_t m = 0; m < h; m++) {
        long double a = q[l->at[b + 1] + i * h + m];
        for (size_t k = 0; k < d; k++) a += q[l->at[b] + (i * h + m) * d + k] * q[t * d + k];
        for (size_t k = 0; k < d; k++)
            s += l->dy[t * d + k] * q[l->at[b + 2] + (i * d + k) * h + m] * phi_of(l->s.phi, a);
    }
    return s;
}

static long double shared_exact(const void *test, const long double *q)
{
    const shared *l = test;
    const size_t d = l->s.d, N = l->s.N, K = l->s.K;
    const long double part = l->form == SMOE_SHARED_HALF ? 0.5L : 1;
    long double phi = 0;
    for (size_t t = 0; t < l->s.T; t++) {
        long double e[8], all = 0, chosen = 0;
        for (size_t i = 0; i < N; i++) {
            long double r = q[l->at[2] + i];
            for (size_t k = 0; k < d; k++) r += q[l->at[1] + i * d + k] * q[t * d + k];
            all += e[i] = expl(r);
        }
        for (size_t j = 0; j < K; j++) chosen += e[l->index[t * K + j]];
        for (size_t j = 0; j < K; j++) {
            const size_t i = l->index[t * K + j];
            const long double weight = e[i] / (l->s.order == SMOE_SOFTMAX_TOPK ? all : chosen);
            phi += weight * (part * expert_exact(l, q, 3, i, t) + l->dweight[t * K + j]);
        }
        for (size_t m = 0; m < l->M; m++) phi += part * expert_exact(l, q, 7, m, t);
        for (size_t k = 0; l->form == SMOE_SHARED_RESIDUAL && k < d; k++) phi += l->dy[t * d + k] * q[t * d + k];
    }
    return phi;
}

static double shared_library(const void *test, const double *q)
{
    shared *l = malloc(sizeof *l);
    *l = *(const shared *)test;
    ck_assert_int_eq(shared_run(l, q), SMOE_OK);
    long double phi = 0;
    for (size_t k = 0; k < l->s.T * l->s.d; k++) phi += (long double)l->dy[k] * l->y[k];
    for (size_t k = 0; k < l->s.T * l->s.K; k++) phi += (long double)l->dweight[k] * l->weight[k];
    free(l);
    return (double)phi;
}

/* i: form, order and activation; the draw is away from decisions and kinks, forward and gradient are done. */
static shared *shared_settled(int i, uint64_t seed)
{
    const smoe_shared_form form = (smoe_shared_form)(i % 3);
    const smoe_layer_shape s = {(smoe_weight_order)(i / 3 % 3), i / 9 ? SMOE_GELU : SMOE_RELU, 3, 3, 2, 4, 2};
    shared *l = shared_new(form, s, form == SMOE_SHARED_HALF ? 1 : 2);
    bool good;
    do {
        slopes_fill(&seed, 1, l->at[SIN], l->q);
        slopes_fill(&seed, 1, 64, l->dy);
        slopes_fill(&seed, 1, 64, l->dweight);
        ck_assert_int_eq(shared_run(l, l->q), SMOE_OK);
        good = true;
        for (size_t t = 0; t < 3; t++) good = good && l->margin[t] > 0.05;
        for (size_t k = 0; k < 3 * 2 * 2; k++) good = good && fabs(l->a[k]) > 0.02;
        for (size_t k = 0; k < l->M * 3 * 2; k++) good = good && fabs(l->sa[k]) > 0.02;
    } while (!good);
    ck_assert_int_eq(shared_vjp(l, l->dweight), SMOE_OK);
    return l;
}

/* evidence gradient: L.7 */
START_TEST(shared_gradient_is_the_slope)
{
    shared *l = shared_settled(_i, (uint64_t)(900 + _i));
    const size_t n = l->at[SIN];
    ck_assert_msg(slopes_order(n, l->q, l->g, shared_exact, l, 1) > 1.8, "variant %d: the remainder is not of order 2",
                  _i);
    for (int b = 0; b < SIN; b++) {
        double off = slopes_adjoint(n, l->q, l->g, shared_library, l, l->at[b], l->at[b + 1] - l->at[b], 2);
        ck_assert_msg(off <= 1e-8, "variant %d: adjoint identity for %s: %.1e", _i, block_name[b], off);
        const double right = l->g[l->at[b]];
        l->g[l->at[b]] += 0.01; /* negative control */
        ck_assert_msg(slopes_order(n, l->q, l->g, shared_exact, l, 1) < 1.7, "a wrong d_%s passes", block_name[b]);
        l->g[l->at[b]] = right;
    }
    free(l);
}
END_TEST

/* The sum as it is written: x, the shared experts ascending, then L.3, each with its own bits. */
/* evidence properties: L.7 */
START_TEST(shared_layer_is_its_sum)
{
    shared *l = shared_settled(_i, (uint64_t)(950 + _i));
    const size_t T = l->s.T, d = l->s.d, h = l->s.h, *at = l->at;
    double y[16], e[16], a[16], u[16], z[16];
    const double *q = l->q;
    for (size_t k = 0; k < T * d; k++) y[k] = l->form == SMOE_SHARED_RESIDUAL ? q[k] : 0;
    for (size_t m = 0; m < l->M; m++) {
        ck_assert_int_eq(smoe_expert_mlp(l->s.phi, T, d, h, q, q + at[7] + m * h * d, q + at[8] + m * h,
                                         q + at[9] + m * d * h, q + at[10] + m * d, a, u, e),
                         SMOE_OK);
        for (size_t k = 0; k < T * d; k++) y[k] += e[k];
    }
    const smoe_layer_in in = {q, q + at[1], q + at[2], q + at[3], q + at[4], q + at[5], q + at[6]};
    const smoe_layer_out out = {z, l->r, l->index, l->weight, l->margin};
    const smoe_layer_kept kept = {l->offset, l->slot, l->place, l->p, l->xs, l->o, l->a, l->u};
    ck_assert_int_eq(smoe_layer(&l->s, &in, &out, &kept), SMOE_OK);
    for (size_t k = 0; k < T * d; k++) y[k] = l->form == SMOE_SHARED_HALF ? 0.5 * y[k] + 0.5 * z[k] : y[k] + z[k];
    SAME(l->y, y, T * d, "y");
    free(l);
}
END_TEST

/* M = 0: `sum` is L.3 bit for bit, gradient too.  T = 0: all gradients are exactly 0. */
/* evidence properties: L.7 */
START_TEST(nothing_shared)
{
    shared *l = shared_new(SMOE_SHARED_SUM, (smoe_layer_shape){SMOE_SOFTMAX_TOPK, SMOE_RELU, 4, 3, 2, 4, 2}, 0);
    uint64_t seed = 970;
    slopes_fill(&seed, 1, 400, l->q);
    slopes_fill(&seed, 1, 64, l->dy);
    ck_assert_int_eq(shared_run(l, l->q), SMOE_OK);
    SAME(l->y, l->z, 12, "y");
    ck_assert_int_eq(shared_vjp(l, NULL), SMOE_OK);
    double g[400], work[400], *q = l->q;
    const size_t *at = l->at;
    const smoe_layer_in in = {q, q + at[1], q + at[2], q + at[3], q + at[4], q + at[5], q + at[6]};
    const smoe_layer_out out = {l->z, l->r, l->index, l->weight, l->margin};
    const smoe_layer_kept kept = {l->offset, l->slot, l->place, l->p, l->xs, l->o, l->a, l->u};
    const smoe_layer_grad grad = {g, g + at[1], g + at[2], g + at[3], g + at[4], g + at[5], g + at[6]};
    ck_assert_int_eq(smoe_layer_vjp(&l->s, &in, &out, &kept, l->dy, NULL, NULL, &grad, work), SMOE_OK);
    SAME(l->g, g, at[7], "gradient");
    free(l);
    l = shared_new(SMOE_SHARED_RESIDUAL, (smoe_layer_shape){SMOE_TOPK_SOFTMAX, SMOE_GELU, 0, 3, 2, 4, 2}, 2);
    slopes_fill(&seed, 1, 400, l->q);
    ck_assert_int_eq(shared_run(l, l->q), SMOE_OK);
    ck_assert_int_eq(shared_vjp(l, NULL), SMOE_OK);
    for (size_t k = 0; k < l->at[SIN]; k++) ck_assert_msg(l->g[k] == 0, "no tokens, but a gradient");
    free(l);
}
END_TEST

/* One shared expert of width 2h is two of width h whose outputs are added. */
/* evidence properties: L.7 */
START_TEST(one_wide_shared_expert_is_two)
{
    const smoe_layer_shape narrow = {SMOE_TOPK_SOFTMAX, SMOE_GELU, 3, 3, 2, 2, 1};
    shared *l = shared_new(SMOE_SHARED_SUM, narrow, 2);
    uint64_t seed = 980;
    slopes_fill(&seed, 1, 400, l->q);
    ck_assert_int_eq(shared_run(l, l->q), SMOE_OK);
    double w2[12], b2[3], a[12], u[12], y[9];
    for (size_t k = 0; k < 3; k++) {
        b2[k] = l->q[l->at[10] + k] + l->q[l->at[10] + 3 + k];
        for (size_t m = 0; m < 4; m++) w2[k * 4 + m] = l->q[l->at[9] + m / 2 * 6 + k * 2 + m % 2];
    }
    ck_assert_int_eq(smoe_expert_mlp(SMOE_GELU, 3, 3, 4, l->q, l->q + l->at[7], l->q + l->at[8], w2, b2, a, u, y),
                     SMOE_OK);
    for (size_t k = 0; k < 9; k++)
        ck_assert_msg(fabs(y[k] + l->z[k] - l->y[k]) < 1e-14, "y[%zu]: %a and %a", k, y[k] + l->z[k], l->y[k]);
    free(l);
}
END_TEST

START_TEST(shared_errors)
{
    const smoe_layer_shape s = {SMOE_TOPK_SOFTMAX, SMOE_RELU, 2, 2, 1, 3, 2};
    shared *l = shared_by_hand(SMOE_SHARED_SUM);
    ck_assert_int_eq(shared_run(l, l->q), SMOE_OK);
    memset(l->y, 0x5a, sizeof l->y), memset(l->z, 0x5a, sizeof l->z);
    for (int i = 0; i < 4; i++) {
        l->form = i == 0 ? (smoe_shared_form)7 : i < 3 ? SMOE_SHARED_HALF : SMOE_SHARED_SUM;
        l->M = i == 1 ? 2 : i == 2 ? 0 : 1;
        if (i == 3) l->s.K = 0;
        ck_assert_int_eq(shared_run(l, l->q), SMOE_EINVAL);
        ck_assert_int_eq(shared_vjp(l, NULL), SMOE_EINVAL);
    }
    l->form = SMOE_SHARED_SUM, l->M = 1, l->s = s;
    for (size_t k = 0; k < l->at[SIN]; k++) {
        const double right = l->q[k];
        l->q[k] = k % 2 ? NAN : -INFINITY;
        ck_assert_int_eq(shared_run(l, l->q), SMOE_EDOM);
        ck_assert_int_eq(shared_vjp(l, NULL), SMOE_EDOM);
        l->q[k] = right;
    }
    double dweight[4] = {1, 1, NAN, 1};
    ck_assert_int_eq(shared_vjp(l, dweight), SMOE_EDOM);
    l->dy[1] = INFINITY;
    ck_assert_int_eq(shared_vjp(l, NULL), SMOE_EDOM);
    l->dy[1] = 4;
    ck_assert_msg(poison(l->y, sizeof l->y) && poison(l->z, sizeof l->z) && poison(l->g, sizeof l->g),
                  "refused, but something was written");
    l->q[l->at[9]] = l->q[l->at[7]] = 0x1p600; /* the shared expert */
    ck_assert_int_eq(shared_run(l, l->q), SMOE_EOVRFLW);
    free(l);
    l = shared_by_hand(SMOE_SHARED_SUM);
    l->q[l->at[1]] = l->q[0] = 0x1p600; /* the router */
    l->q[l->at[7]] = 0;
    ck_assert_int_eq(shared_run(l, l->q), SMOE_EOVRFLW);
    free(l);
    l = shared_by_hand(SMOE_SHARED_SUM);
    for (size_t k = 0; k < 3 * 2; k++) l->q[l->at[6] + k] = 0x1.fp1023; /* the sum of the two parts */
    l->q[l->at[10]] = 0x1.fp1023;
    ck_assert_int_eq(shared_run(l, l->q), SMOE_EOVRFLW);
    free(l);
    l = shared_by_hand(SMOE_SHARED_SUM);
    ck_assert_int_eq(shared_run(l, l->q), SMOE_OK);
    l->dy[0] = l->dy[2] = 0x1.8p1023; /* dbs2 */
    ck_assert_int_eq(shared_vjp(l, NULL), SMOE_EOVRFLW);
    l->dy[2] = 0; /* <dy, o> */
    ck_assert_int_eq(shared_vjp(l, NULL), SMOE_EOVRFLW);
    free(l);
}
END_TEST

/* The last number of one array is beyond the format, and no other number is. */
START_TEST(overflow_of_the_last_number)
{
    const size_t T = _i ? 4 : 2, D = 3, H = _i ? 2 : 4, N = _i ? 2 : 5, K = 2, C = T, A = T * K;
    const double big = LONE_BIG, top = LONE_TOP;
    const smoe_overflow zero = SMOE_OVERFLOW_ZERO;
    double *b[12];
    for (int i = 0; i < 12; i++) b[i] = zeros();
    size_t index[8], slot[8];
    for (size_t k = 0; k < A; k++) index[k] = N - K + k % K, slot[k] = k / K;
    double *dxe = lone(N * C * D, top);
    dxe[(N - 1) * C * D - 1] = top; /* the last token's other place */
    LONE_OVERFLOW(smoe_buffer_dispatch_vjp(T, D, N, K, C, index, slot, dxe, b[0]));
    LONE_OVERFLOW(
        smoe_buffer_combine(zero, T, D, N, K, C, lone(N * C * D, big), lone(A, big), index, slot, zeros(), b[0]));
    LONE_OVERFLOW(smoe_buffer_combine_vjp(zero, T, D, N, K, C, zeros(), lone(A, big), index, slot, lone(T * D, big),
                                          b[0], b[1], b[2])); /* do */
    LONE_OVERFLOW(smoe_buffer_combine_vjp(zero, T, D, N, K, C, lone(N * C * D, big), zeros(), index, slot,
                                          lone(T * D, big), b[0], b[1], b[2])); /* dweight */

    /* One expert and one shared one: the last token's last number is top from each of them. */
    const smoe_layer_shape s = {SMOE_TOPK_SOFTMAX, SMOE_RELU, T, D, H, 1, 1};
    const double *w1 = lone(H * D, 1), *w2 = lone(D * H, top), *x = lone(T * D, 1), *none = zeros();
    const smoe_layer_in in = {x, none, none, w1, none, w2, none};
    const smoe_shared_in shared_in = {w1, none, w2, none};
    size_t choice[4], offset[2], list[4], place[4];
    const smoe_layer_out out = {b[0], b[1], choice, b[2], b[3]};
    const smoe_layer_kept kept = {offset, list, place, b[4], b[5], b[6], b[7], b[8]};
    const smoe_shared_kept sk = {b[9], b[10], b[11], zeros()};
    LONE_OVERFLOW(smoe_shared_layer(SMOE_SHARED_SUM, 1, &s, &in, &shared_in, &out, &kept, &sk));
    ck_assert_msg(isinf(b[0][T * D - 1]) && smoe_all_finite(T * D - 1, b[0]), "y is to overflow in its last number");
    ck_assert_int_eq(smoe_shared_layer(SMOE_SHARED_HALF, 1, &s, &in, &shared_in, &out, &kept, &sk), SMOE_OK);
    ck_assert(b[0][T * D - 1] == top);
    /* Backwards from a cotangent of the last number: dx is w1 w2 = top from each. */
    const smoe_layer_grad grad = {zeros(), zeros(), zeros(), zeros(), zeros(), zeros(), zeros()};
    const smoe_shared_grad shared_grad = {zeros(), zeros(), zeros(), zeros()};
    ck_assert_uint_le(smoe_shared_layer_vjp_work(&s), 160);
    LONE_OVERFLOW(smoe_shared_layer_vjp(SMOE_SHARED_SUM, 1, &s, &in, &shared_in, &out, &kept, &sk, lone(T * D, 1), NULL,
                                        &grad, &shared_grad, zeros()));
    ck_assert_msg(isinf(grad.x[T * D - 1]) && smoe_all_finite(T * D - 1, grad.x),
                  "dx is to overflow in its last number");
}
END_TEST

/* The last number of one input is none, or its last index is beyond the end. */
START_TEST(the_last_number_is_refused)
{
    const size_t T = _i ? 4 : 2, D = 3, H = _i ? 2 : 4, N = _i ? 2 : 5, K = 2, C = T, A = T * K;
    double *b[4];
    for (int i = 0; i < 4; i++) b[i] = zeros();
    size_t fine[8], index[8] = {0}, far[8] = {0}, full[8] = {0}, load[5], slot[8];
    far[A - 1] = N, full[A - 1] = C;
    for (size_t k = 0; k < A; k++) fine[k] = k / K;
    for (int bad = 0; bad < 6; bad++) {
#define LAST(i, n) lone(n, bad == (i) ? NAN : 0)
        const size_t *at = bad == 3 ? far : index, *in = bad == 4 ? full : fine;
        if (bad < 3 || bad > 4) {
            if (bad < 3)
                LONE_REFUSED(
                    smoe_expert_keyvalue(T, D, H, LAST(0, T * D), LAST(1, D * H), LAST(2, H * D), b[0], b[1], b[2]));
            LONE_REFUSED(smoe_expert_keyvalue_vjp(T, D, H, LAST(0, T * D), LAST(1, D * H), LAST(2, H * D), zeros(),
                                                  zeros(), LAST(5, T * D), b[0], b[1], b[2], b[3]));
        }
        if (bad == 5) continue;
        if (bad == 0 || bad > 2) {
            LONE_REFUSED(smoe_buffer_dispatch(T, D, N, K, C, LAST(0, T * D), at, in, b[0]));
            LONE_REFUSED(smoe_buffer_dispatch_vjp(T, D, N, K, C, at, in, LAST(0, N * C * D), b[0]));
        }
        LONE_REFUSED(smoe_buffer_combine(SMOE_OVERFLOW_PASS, T, D, N, K, C, LAST(0, N * C * D), LAST(1, A), at, in,
                                         LAST(2, T * D), b[0]));
        LONE_REFUSED(smoe_buffer_combine_vjp(SMOE_OVERFLOW_PASS, T, D, N, K, C, LAST(0, N * C * D), LAST(1, A), at, in,
                                             LAST(2, T * D), b[0], b[1], b[2]));
#undef LAST
    }
    LONE_REFUSED(smoe_expert_keyvalue_vjp(T, D, H, zeros(), zeros(), zeros(), lone(T * H, NAN), zeros(), zeros(), b[0],
                                          b[1], b[2], b[3]));
    LONE_REFUSED(smoe_expert_keyvalue_vjp(T, D, H, zeros(), zeros(), zeros(), zeros(), lone(T * H, NAN), zeros(), b[0],
                                          b[1], b[2], b[3]));
    for (size_t k = 0; k < A; k++) fine[k] = k, full[k] = k < A - 1 ? k : A;
    LONE_REFUSED(smoe_slots_first(A, N, C, far, fine, load, slot));
    LONE_REFUSED(smoe_slots_first(A, N, C, index, full, load, slot));
    LONE_REFUSED(smoe_slots_largest(A, N, C, far, zeros(), fine, load, slot));
    LONE_REFUSED(smoe_slots_largest(A, N, C, index, zeros(), full, load, slot));
    LONE_REFUSED(smoe_slots_largest(A, N, C, index, lone(A, NAN), fine, load, slot));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("capacity");
    TCase *t = tcase_create("E.5, L.4 to L.7");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, keyvalue_by_hand);
    tcase_add_loop_test(t, keyvalue_gradient_is_the_slope, 0, 4);
    tcase_add_loop_test(t, keyvalue_is_the_relu_expert_transposed, 0, 4);
    tcase_add_test(t, keyvalue_errors);
    tcase_add_test(t, capacity_by_hand);
    tcase_add_test(t, slots_by_hand);
    tcase_add_test(t, capacity_gate_by_hand);
    tcase_add_loop_test(t, capacity_gradient_is_the_slope, 0, GATES);
    tcase_add_loop_test(t, capacity_is_its_definition, 0, GATES);
    tcase_add_loop_test(t, capacity_beyond_the_tokens, 0, GATES);
    tcase_add_test(t, capacity_errors);
    tcase_add_test(t, dispatch_to_buffers_by_hand);
    tcase_add_test(t, combination_of_buffers_by_hand);
    tcase_add_loop_test(t, buffer_gradients_are_the_slopes, 0, 4);
    tcase_add_loop_test(t, dispatch_and_combination_are_inverse, 0, 2);
    tcase_add_loop_test(t, room_for_all_is_the_combination_of_lists, 0, 2);
    tcase_add_test(t, buffer_errors);
    tcase_add_loop_test(t, shared_experts_by_hand, 0, 3);
    tcase_add_loop_test(t, shared_gradient_is_the_slope, 0, 18);
    tcase_add_loop_test(t, shared_layer_is_its_sum, 0, 18);
    tcase_add_test(t, nothing_shared);
    tcase_add_test(t, one_wide_shared_expert_is_two);
    tcase_add_test(t, shared_errors);
    tcase_add_loop_test(t, overflow_of_the_last_number, 0, 2);
    tcase_add_loop_test(t, the_last_number_is_refused, 0, 2);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
