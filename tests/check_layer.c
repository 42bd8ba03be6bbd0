/* The SMoE layer, spec/03-layer.md: hand-computed values, gradients by two methods, properties, every error path. */
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

/* --- a layer with all its arrays --- */

enum { BLOCKS = 7, ORDERS = 3, VARIANTS = 9 };
static const char *const block_name[BLOCKS] = {"x", "wr", "br", "w1", "b1", "w2", "b2"};

/* q = x | wr | br | w1 | b1 | w2 | b2 and its gradient g, one array each. */
typedef struct {
    smoe_layer_shape s;
    size_t at[BLOCKS + 1], n;
    double *q, *g, *dy, *dweight, *dr, *work;
    smoe_layer_out out;
    smoe_layer_kept kept;
} layer;

static void *room(size_t n, size_t size)
{
    void *p = malloc((n + 1) * size);
    memset(p, 0x5a, (n + 1) * size);
    return p;
}

static layer layer_new(smoe_weight_order order, smoe_activation phi, size_t T, size_t d, size_t h, size_t N, size_t K)
{
    layer l = {.s = {order, phi, T, d, h, N, K}};
    const size_t size[BLOCKS] = {T * d, N * d, N, N * h * d, N * h, N * d * h, N * d}, A = T * K;
    for (int b = 0; b < BLOCKS; b++) l.at[b + 1] = l.at[b] + size[b];
    l.n = l.at[BLOCKS];
    l.q = room(l.n, sizeof(double));
    l.g = room(l.n, sizeof(double));
    l.dy = room(T * d, sizeof(double));
    l.dweight = room(A, sizeof(double));
    l.dr = room(T * N, sizeof(double));
    l.work = room(smoe_layer_vjp_work(&l.s), sizeof(double));
    l.out = (smoe_layer_out){room(T * d, sizeof(double)), room(T * N, sizeof(double)), room(A, sizeof(size_t)),
                             room(A, sizeof(double)), room(T, sizeof(double))};
    l.kept.offset = room(N + 1, sizeof(size_t));
    l.kept.slot = room(A, sizeof(size_t));
    l.kept.place = room(A, sizeof(size_t));
    l.kept.p = room(T * N, sizeof(double));
    l.kept.xs = room(A * d, sizeof(double));
    l.kept.o = room(A * d, sizeof(double));
    l.kept.a = room(A * h, sizeof(double));
    l.kept.u = room(A * h, sizeof(double));
    return l;
}

static void layer_free(layer *l)
{
    free(l->q), free(l->g), free(l->dy), free(l->dweight), free(l->dr), free(l->work);
    free(l->out.y), free(l->out.r), free(l->out.index), free(l->out.weight), free(l->out.margin);
    free(l->kept.offset), free(l->kept.slot), free(l->kept.place), free(l->kept.p), free(l->kept.xs), free(l->kept.o);
    free(l->kept.a), free(l->kept.u);
}

static smoe_layer_in in_of(const layer *l, const double *q)
{
    return (smoe_layer_in){q, q + l->at[1], q + l->at[2], q + l->at[3], q + l->at[4], q + l->at[5], q + l->at[6]};
}

static smoe_status forward(const layer *l, const double *q)
{
    const smoe_layer_in in = in_of(l, q);
    return smoe_layer(&l->s, &in, &l->out, &l->kept);
}

static smoe_status vjp(const layer *l, const double *dweight, const double *dr)
{
    const smoe_layer_in in = in_of(l, l->q);
    double *g = l->g;
    const smoe_layer_grad grad = {g,           g + l->at[1], g + l->at[2], g + l->at[3], g + l->at[4], g + l->at[5],
                                  g + l->at[6]};
    return smoe_layer_vjp(&l->s, &in, &l->out, &l->kept, l->dy, dweight, dr, &grad, l->work);
}

static void draw(layer *l, uint64_t seed)
{
    slopes_fill(&seed, 1.0, l->n, l->q);
    slopes_fill(&seed, 1.0, l->s.T * l->s.d, l->dy);
    slopes_fill(&seed, 1.0, l->s.T * l->s.K, l->dweight);
    slopes_fill(&seed, 1.0, l->s.T * l->s.N, l->dr);
}

static smoe_weight_order order_of(int i) { return (smoe_weight_order)(i % ORDERS); }
static smoe_activation phi_of(int i) { return (smoe_activation)(i / ORDERS); }

/* --- hand-computed values --- */

/* Three tokens with two choices among five experts:  (1,0) (2,1) (1,3).  Lists: {1}, {0,3,4}, {2}, {5}, {}. */
/* evidence hand: L.1 */
START_TEST(dispatch_by_hand)
{
    const size_t choice[] = {1, 0, 2, 1, 1, 3};
    size_t offset[6], slot[6], place[6];
    ck_assert_int_eq(smoe_dispatch(6, 5, choice, offset, slot, place), SMOE_OK);
    INDEX(offset, ((size_t[]){0, 1, 4, 5, 6, 6}), 6, "L.1 offset");
    INDEX(slot, ((size_t[]){1, 0, 3, 4, 2, 5}), 6, "L.1 slot");
    INDEX(place, ((size_t[]){1, 0, 4, 2, 3, 5}), 6, "L.1 place");
}
END_TEST

/* Two tokens x_1 = (2,3), x_2 = (-1,1), three experts, K = 2, h = 1; spec L.3 has the same numbers, derived.
 * Wr = [1 0; 3 -3; 0 0], br = (0, 5, -2000): r_1 = (2, 2, -2000), r_2 = (-1, -1, -2000), so I = (0, 1), weights 1/2.
 * E_0(x) = relu(x_1) (1,2);  E_1(x) = relu(x_2 + 1) (-1,1) + (1,1);  nobody chooses E_2. */
static layer by_hand(void)
{
    static const double q[] = {2,  3,     -1, 1, /* x */ 1,  0, 3,          -3, 0, 0,          /* wr */ 0,
                               5,  -2000, /* br */
                               1,  0,     0,  1, 9,          9, /* w1 */ 0, 1,  9, /* b1 */ 1, 2,
                               -1, 1,     9,  9, /* w2 */ 0, 0, 1,          1,  9, 9};
    static const double dy[] = {2, 4, 2, 0};
    layer l = layer_new(SMOE_TOPK_SOFTMAX, SMOE_RELU, 2, 2, 1, 3, 2);
    memcpy(l.q, q, sizeof q);
    memcpy(l.dy, dy, sizeof dy);
    return l;
}

/* o by place: E_0(x_1) = (2,4), E_0(x_2) = 0, E_1(x_1) = 4 (-1,1) + (1,1) = (-3,5), E_1(x_2) = 2 (-1,1) + (1,1). */
/* evidence hand: L.2 L.3 */
START_TEST(layer_by_hand)
{
    layer l = by_hand();
    ck_assert_int_eq(forward(&l, l.q), SMOE_OK);
    SAME(l.out.r, ((double[]){2, 2, -2000, -1, -1, -2000}), 6, "G.1 r");
    INDEX(l.out.index, ((size_t[]){0, 1, 0, 1}), 4, "G.2 index");
    SAME(l.out.weight, ((double[]){0.5, 0.5, 0.5, 0.5}), 4, "G.2 weight");
    SAME(l.out.margin, ((double[]){2002, 1999}), 2, "margin");
    SAME(l.kept.o, ((double[]){2, 4, 0, 0, -3, 5, -1, 3}), 8, "L.2 o");
    SAME(l.out.y, ((double[]){-0.5, 4.5, -0.5, 1.5}), 4, "L.3 y");
    layer_free(&l);
}
END_TEST

/* G_1 = (2,4), G_2 = (2,0): do = (1,2) for both choices of token 1, (1,0) for both of token 2.
 * Weights: (20, 14) and (0, -2); minus their means 17 and -1, times 1/2: dr_1 = (3/2, -3/2, 0), dr_2 = (1/2, -1/2, 0).
 * Expert 0: u = (2, 0), W2'do = (5, 1), da = (5, 0).  Expert 1: u = (4, 2), W2'do = (1, -1) = da.
 * dx_1 = (5,0) + (0,1) + Wr'dr_1 = (5,1) + (-3, 9/2);  dx_2 = (0,0) + (0,-1) + (-1, 3/2). */
/* evidence hand: L.2 L.3 */
START_TEST(gradient_by_hand)
{
    layer l = by_hand();
    ck_assert_int_eq(forward(&l, l.q), SMOE_OK);
    ck_assert_int_eq(vjp(&l, NULL, NULL), SMOE_OK);
    SAME(l.g, ((double[]){2, 5.5, -1, 0.5}), 4, "dx");
    SAME(l.g + l.at[1], ((double[]){2.5, 5, -2.5, -5, 0, 0}), 6, "dwr");
    SAME(l.g + l.at[2], ((double[]){2, -2, 0}), 3, "dbr");
    SAME(l.g + l.at[3], ((double[]){10, 15, 2 + 1, 3 - 1, 0, 0}), 6, "dw1");
    SAME(l.g + l.at[4], ((double[]){5, 0, 0}), 3, "db1");
    SAME(l.g + l.at[5], ((double[]){2, 4, 4 + 2, 8, 0, 0}), 6, "dw2");
    SAME(l.g + l.at[6], ((double[]){2, 2, 2, 2, 0, 0}), 6, "db2");
    layer_free(&l);
}
END_TEST

/* A cotangent of the weights alone, (1, 0) for token 1: dr_1 = (1/4, -1/4, 0); of r alone: (0, 0, 1) for token 2. */
/* evidence hand: L.3 */
START_TEST(other_cotangents_by_hand)
{
    layer l = by_hand();
    const double dweight[] = {1, 0, 0, 0}, dr[] = {0, 0, 0, 0, 0, 1};
    memset(l.dy, 0, sizeof(double[4]));
    ck_assert_int_eq(forward(&l, l.q), SMOE_OK);
    ck_assert_int_eq(vjp(&l, dweight, dr), SMOE_OK);
    SAME(l.g + l.at[2], ((double[]){0.25, -0.25, 1}), 3, "dbr");
    SAME(l.g + l.at[1], ((double[]){0.5, 0.75, -0.5, -0.75, -1, 1}), 6, "dwr");
    SAME(l.g, ((double[]){0.25 - 0.75, 0.75, 0, 0}), 4, "dx");
    for (size_t k = l.at[3]; k < l.n; k++)
        ck_assert_msg(l.g[k] == 0, "the experts got a gradient from the router's cotangent");
    layer_free(&l);
}
END_TEST

/* --- gradients --- */

static long double exact_phi(smoe_activation phi, long double a)
{
    if (phi == SMOE_RELU) return a > 0 ? a : 0;
    if (phi == SMOE_GELU) return a / 2 * (1 + erfl(a / sqrtl(2)));
    return a / 2 * (1 + tanhl(sqrtl(2 / acosl(-1)) * (a + 0.044715L * a * a * a)));
}

/* <dy_t, E_i(x_t)> in extended precision. */
static long double exact_expert(const layer *l, const long double *q, size_t t, size_t i)
{
    const size_t d = l->s.d, h = l->s.h;
    long double s = 0;
    for (size_t k = 0; k < d; k++) s += l->dy[t * d + k] * q[l->at[6] + i * d + k];
    for (size_t m = 0; m < h; m++) {
        long double a = q[l->at[4] + i * h + m];
        for (size_t k = 0; k < d; k++) a += q[l->at[3] + (i * h + m) * d + k] * q[t * d + k];
        for (size_t k = 0; k < d; k++)
            s += l->dy[t * d + k] * q[l->at[5] + (i * d + k) * h + m] * exact_phi(l->s.phi, a);
    }
    return s;
}

/* <dy, y> + <dweight, weight> + <dr, r> from the formulas, token by token, the selection held. */
static long double exact(const void *test, const long double *q)
{
    const layer *l = test;
    const size_t d = l->s.d, N = l->s.N, K = l->s.K;
    long double phi = 0;
    for (size_t t = 0; t < l->s.T; t++) {
        const size_t *I = l->out.index + t * K;
        long double e[8], all = 0, chosen = 0;
        for (size_t i = 0; i < N; i++) {
            long double r = q[l->at[2] + i];
            for (size_t k = 0; k < d; k++) r += q[l->at[1] + i * d + k] * q[t * d + k];
            phi += l->dr[t * N + i] * r;
            e[i] = expl(r);
            all += e[i];
        }
        for (size_t j = 0; j < K; j++) chosen += e[I[j]];
        for (size_t j = 0; j < K; j++) {
            long double weight = e[I[j]] / (l->s.order == SMOE_SOFTMAX_TOPK ? all : chosen);
            phi += weight * (exact_expert(l, q, t, I[j]) + l->dweight[t * K + j]);
        }
    }
    return phi;
}

static double library(const void *test, const double *q)
{
    const layer *l = test;
    ck_assert_int_eq(forward(l, q), SMOE_OK);
    long double phi = 0;
    for (size_t k = 0; k < l->s.T * l->s.d; k++) phi += (long double)l->dy[k] * l->out.y[k];
    for (size_t k = 0; k < l->s.T * l->s.K; k++) phi += (long double)l->dweight[k] * l->out.weight[k];
    for (size_t k = 0; k < l->s.T * l->s.N; k++) phi += (long double)l->dr[k] * l->out.r[k];
    return (double)phi;
}

/* A random layer, no decision and no ReLU so close that a check's step could tip it; forward and gradient done. */
static layer settled(int variant, size_t K, uint64_t seed)
{
    layer l = layer_new(order_of(variant), phi_of(variant), 3, 3, 2, 4, K);
    bool good;
    do {
        draw(&l, seed++);
        ck_assert_int_eq(forward(&l, l.q), SMOE_OK);
        good = true;
        for (size_t t = 0; t < 3; t++) good = good && l.out.margin[t] > 0.05;
        for (size_t k = 0; k < 3 * K * 2; k++) good = good && fabs(l.kept.a[k]) > 0.02;
    } while (!good);
    ck_assert_int_eq(vjp(&l, l.dweight, l.dr), SMOE_OK);
    return l;
}

/* evidence gradient: L.2 L.3 */
START_TEST(gradient_is_the_slope)
{
    for (size_t K = 1; K <= 4; K++) {
        layer l = settled(_i, K, 100 * K);
        double order = slopes_order(l.n, l.q, l.g, exact, &l, 1);
        ck_assert_msg(order > 1.8, "order %d, activation %d, K = %zu: Taylor remainder of order %.3f, not 2", l.s.order,
                      l.s.phi, K, order);
        for (int b = 0; b < BLOCKS; b++) {
            double off = slopes_adjoint(l.n, l.q, l.g, library, &l, l.at[b], l.at[b + 1] - l.at[b], 1);
            ck_assert_msg(off <= 1e-8, "order %d, activation %d, K = %zu: <G, J v> and <d_%s, v> differ by %.1e",
                          l.s.order, l.s.phi, K, block_name[b], off);
        }
        layer_free(&l);
    }
}
END_TEST

/* Negative control: one entry of one gradient off by 1/1000 of itself. */
START_TEST(a_wrong_gradient_is_seen)
{
    layer l = settled(_i, 2, 77);
    for (int b = 0; b < BLOCKS; b++) {
        size_t largest = l.at[b];
        for (size_t k = l.at[b]; k < l.at[b + 1]; k++)
            if (fabs(l.g[k]) > fabs(l.g[largest])) largest = k;
        double right = l.g[largest];
        l.g[largest] *= 1.001;
        double order = slopes_order(l.n, l.q, l.g, exact, &l, 1);
        double off = slopes_adjoint(l.n, l.q, l.g, library, &l, l.at[b], l.at[b + 1] - l.at[b], 1);
        ck_assert_msg(order < 1.7, "a wrong d_%s passes Taylor's check: order %.3f", block_name[b], order);
        ck_assert_msg(off > 1e-7, "a wrong d_%s passes the adjoint check: %.1e", block_name[b], off);
        l.g[largest] = right;
    }
    layer_free(&l);
}
END_TEST

/* --- properties --- */

/* Against the definition, for every size up to a few: offsets count, lists ascend, place and slot are inverse. */
/* evidence properties: L.1 */
START_TEST(dispatch_is_its_definition)
{
    uint64_t seed = 41;
    for (size_t A = 0; A <= 12; A++)
        for (size_t N = A == 0 ? 0 : 1; N <= 5; N++) {
            size_t choice[12], offset[6], slot[13], place[13], p = 0;
            slot[A] = place[A] = 4711;
            for (size_t a = 0; a < A; a++) choice[a] = (size_t)((slopes_draw(&seed) + 1) / 2 * (double)N);
            ck_assert_int_eq(smoe_dispatch(A, N, choice, offset, slot, place), SMOE_OK);
            for (size_t i = 0; i < N; i++) {
                ck_assert_msg(offset[i] == p, "A = %zu, N = %zu: offset[%zu] is %zu, not %zu", A, N, i, offset[i], p);
                for (size_t a = 0; a < A; a++)
                    if (choice[a] == i) {
                        ck_assert_msg(slot[p] == a && place[a] == p, "A = %zu, N = %zu: assignment %zu", A, N, a);
                        p++;
                    }
            }
            ck_assert_msg(offset[N] == A && p == A, "A = %zu, N = %zu: %zu assignments placed", A, N, p);
            ck_assert_msg(slot[A] == 4711 && place[A] == 4711, "A = %zu, N = %zu: written past the end", A, N);
        }
}
END_TEST

/* The layer for one token after another, by the definition: gate, selection, experts on one token, combination. */
static void naive(const layer *l, size_t t, double *y, double *dx)
{
    const size_t d = l->s.d, h = l->s.h, N = l->s.N, K = l->s.K;
    const double *q = l->q, *x = q + t * d, *dy = l->dy + t * d;
    double r[8], weight[8], margin, p[8], a[32], u[32], o[8][16], domega[8], dr[8], work[8], zero[16] = {0};
    double part[8][16], db[16], dw[256], dw2[256], db2[16], da[32], scaled[16];
    size_t I[8];
    for (size_t i = 0; i < N; i++) r[i] = smoe_dot(d, x, q + l->at[1] + i * d) + q[l->at[2] + i];
    ck_assert_int_eq(smoe_gate_weights(l->s.order, 1, N, K, r, I, weight, &margin, p), SMOE_OK);
    memcpy(y, zero, d * sizeof *y);
    for (size_t j = 0; j < K; j++) {
        const double *w1 = q + l->at[3] + I[j] * h * d, *w2 = q + l->at[5] + I[j] * d * h;
        const double *b1 = q + l->at[4] + I[j] * h, *b2 = q + l->at[6] + I[j] * d;
        ck_assert_int_eq(smoe_expert_mlp(l->s.phi, 1, d, h, x, w1, b1, w2, b2, a, u, o[j]), SMOE_OK);
        for (size_t k = 0; k < d; k++) {
            y[k] = fma(weight[j], o[j][k], y[k]);
            scaled[k] = weight[j] * dy[k];
        }
        ck_assert_int_eq(smoe_expert_mlp_vjp(l->s.phi, 1, d, h, x, w1, w2, a, u, scaled, part[j], dw, db, dw2, db2, da),
                         SMOE_OK);
        domega[j] = smoe_dot(d, dy, o[j]) + l->dweight[t * K + j];
    }
    ck_assert_int_eq(smoe_gate_weights_vjp(l->s.order, 1, N, K, I, weight, p, domega, dr, work), SMOE_OK);
    for (size_t i = 0; i < N; i++) dr[i] += l->dr[t * N + i];
    for (size_t k = 0; k < d; k++) {
        double experts = 0, gate = 0;
        for (size_t j = 0; j < K; j++) experts += part[j][k];
        for (size_t i = 0; i < N; i++) gate = fma(dr[i], q[l->at[1] + i * d + k], gate);
        dx[k] = experts + gate;
    }
}

/* Gathering the tokens of an expert into one product changes no bit of y and dx; nor do other tokens of the batch. */
/* evidence properties: L.2 L.3 */
START_TEST(grouping_changes_no_bit)
{
    enum { T = 11, d = 5, h = 7, N = 6 };
    for (size_t K = 1; K <= N; K += K < 3 ? 1 : 3) {
        layer l = layer_new(order_of(_i), phi_of(_i), T, d, h, N, K);
        draw(&l, (uint64_t)(50 + _i));
        ck_assert_int_eq(forward(&l, l.q), SMOE_OK);
        ck_assert_int_eq(vjp(&l, l.dweight, l.dr), SMOE_OK);
        for (size_t t = 0; t < T; t++) {
            double y[d], dx[d];
            naive(&l, t, y, dx);
            ck_assert_msg(memcmp(y, l.out.y + t * d, sizeof y) == 0, "K = %zu: y of token %zu", K, t);
            ck_assert_msg(memcmp(dx, l.g + t * d, sizeof dx) == 0, "K = %zu: dx of token %zu", K, t);
        }
        layer_free(&l);
    }
}
END_TEST

/* Parameter gradients are chains over the expert's tokens in ascending order: recomputed here from the definition. */
/* evidence properties: L.2 */
START_TEST(parameter_gradients_take_tokens_in_order)
{
    enum { T = 13, d = 4, h = 3, N = 4, K = 2 };
    layer l = layer_new(order_of(_i), phi_of(_i), T, d, h, N, K);
    draw(&l, 61);
    ck_assert_int_eq(forward(&l, l.q), SMOE_OK);
    ck_assert_int_eq(vjp(&l, NULL, NULL), SMOE_OK);
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < d; k++)
            for (size_t m = 0; m < h; m++) {
                double dw1 = 0, dw2 = 0, db2 = 0;
                for (size_t t = 0; t < T; t++)
                    for (size_t j = 0; j < K; j++) {
                        if (l.out.index[t * K + j] != i) continue;
                        const double *w1 = l.q + l.at[3] + (i * h + m) * d;
                        double a = smoe_dot(d, l.q + t * d, w1) + l.q[l.at[4] + i * h + m], u, du = 0, da;
                        smoe_activate(l.s.phi, 1, &a, &u);
                        for (size_t e = 0; e < d; e++)
                            du = fma(l.out.weight[t * K + j] * l.dy[t * d + e], l.q[l.at[5] + (i * d + e) * h + m], du);
                        smoe_activate_vjp(l.s.phi, 1, &a, &du, &da);
                        double G = l.out.weight[t * K + j] * l.dy[t * d + k];
                        dw1 = fma(da, l.q[t * d + k], dw1);
                        dw2 = fma(G, u, dw2);
                        db2 += G;
                    }
                ck_assert_msg(l.g[l.at[3] + (i * h + m) * d + k] == dw1, "dw1[%zu,%zu,%zu]", i, m, k);
                ck_assert_msg(l.g[l.at[5] + (i * d + k) * h + m] == dw2, "dw2[%zu,%zu,%zu]", i, k, m);
                ck_assert_msg(l.g[l.at[6] + i * d + k] == db2, "db2[%zu,%zu]", i, k);
            }
    layer_free(&l);
}
END_TEST

/* Another order of the tokens permutes y and dx; other names for the experts permute index and their gradients. */
/* evidence properties: L.2 L.3 */
START_TEST(permutations)
{
    enum { T = 6, d = 4, h = 5, N = 4, K = 2 };
    const size_t turn[T] = {3, 0, 5, 1, 4, 2}, name[N] = {2, 0, 3, 1};
    layer l = layer_new(SMOE_TOPK_SOFTMAX, phi_of(_i), T, d, h, N, K),
          m = layer_new(SMOE_TOPK_SOFTMAX, phi_of(_i), T, d, h, N, K);
    draw(&l, 71);
    memcpy(m.q, l.q, l.n * sizeof *l.q);
    for (size_t t = 0; t < T; t++) {
        memcpy(m.q + turn[t] * d, l.q + t * d, sizeof(double[d]));
        memcpy(m.dy + turn[t] * d, l.dy + t * d, sizeof(double[d]));
    }
    ck_assert_int_eq(forward(&l, l.q) | forward(&m, m.q), SMOE_OK);
    ck_assert_int_eq(vjp(&l, NULL, NULL) | vjp(&m, NULL, NULL), SMOE_OK);
    for (size_t t = 0; t < T; t++) {
        ck_assert_msg(memcmp(m.out.y + turn[t] * d, l.out.y + t * d, sizeof(double[d])) == 0, "y of token %zu", t);
        ck_assert_msg(memcmp(m.g + turn[t] * d, l.g + t * d, sizeof(double[d])) == 0, "dx of token %zu", t);
    }
    memcpy(m.q, l.q, l.n * sizeof *l.q);
    memcpy(m.dy, l.dy, sizeof(double[T * d]));
    const size_t size[BLOCKS] = {0, d, 1, h * d, h, d * h, d};
    for (int b = 1; b < BLOCKS; b++)
        for (size_t i = 0; i < N; i++)
            memcpy(m.q + m.at[b] + name[i] * size[b], l.q + l.at[b] + i * size[b], size[b] * sizeof(double));
    ck_assert_int_eq(forward(&m, m.q), SMOE_OK);
    ck_assert_int_eq(vjp(&m, NULL, NULL), SMOE_OK);
    ck_assert_msg(memcmp(m.out.y, l.out.y, sizeof(double[T * d])) == 0, "y depends on the experts' names");
    for (size_t a = 0; a < T * K; a++)
        ck_assert_msg(m.out.index[a] == name[l.out.index[a]], "index of assignment %zu", a);
    for (int b = 1; b < BLOCKS; b++)
        for (size_t i = 0; i < N; i++)
            ck_assert_msg(
                memcmp(m.g + m.at[b] + name[i] * size[b], l.g + l.at[b] + i * size[b], size[b] * sizeof(double)) == 0,
                "d_%s of expert %zu", block_name[b], i);
    layer_free(&l), layer_free(&m);
}
END_TEST

/* K = N is the dense mixture sum_i softmax(r)_i E_i(x), and all orders agree on it. */
/* evidence properties: L.3 */
START_TEST(all_chosen_is_a_dense_mixture)
{
    enum { T = 3, d = 4, h = 5, N = 4 };
    layer l = layer_new(order_of(_i), phi_of(_i), T, d, h, N, N);
    draw(&l, 81);
    ck_assert_int_eq(forward(&l, l.q), SMOE_OK);
    for (size_t t = 0; t < T; t++) {
        double p[N], y[d] = {0}, a[h], u[h], o[d];
        ck_assert_int_eq(smoe_softmax(N, l.out.r + t * N, p), SMOE_OK);
        for (size_t i = 0; i < N; i++) {
            const double *q = l.q;
            ck_assert_int_eq(smoe_expert_mlp(l.s.phi, 1, d, h, q + t * d, q + l.at[3] + i * h * d, q + l.at[4] + i * h,
                                             q + l.at[5] + i * d * h, q + l.at[6] + i * d, a, u, o),
                             SMOE_OK);
            for (size_t k = 0; k < d; k++) y[k] += p[i] * o[k];
        }
        for (size_t k = 0; k < d; k++)
            ck_assert_msg(fabs(y[k] - l.out.y[t * d + k]) <= 1e-14, "token %zu: %a and %a", t, y[k],
                          l.out.y[t * d + k]);
        ck_assert_msg(l.out.margin[t] == INFINITY, "K = N has margin %a", l.out.margin[t]);
    }
    layer_free(&l);
}
END_TEST

/* N = 1 is the expert itself with weight 1, and the router's gradient is exactly 0. */
/* evidence properties: L.3 */
START_TEST(one_expert)
{
    enum { T = 4, d = 3, h = 5 };
    layer l = layer_new(order_of(_i), phi_of(_i), T, d, h, 1, 1);
    draw(&l, 91);
    ck_assert_int_eq(forward(&l, l.q), SMOE_OK);
    ck_assert_int_eq(vjp(&l, l.dweight, NULL), SMOE_OK);
    double a[T * h], u[T * h], y[T * d];
    const double *q = l.q;
    ck_assert_int_eq(smoe_expert_mlp(l.s.phi, T, d, h, q, q + l.at[3], q + l.at[4], q + l.at[5], q + l.at[6], a, u, y),
                     SMOE_OK);
    SAME(l.out.y, y, (size_t)T * d, "y");
    for (size_t k = l.at[1]; k < l.at[3]; k++)
        ck_assert_msg(l.g[k] == 0, "one expert, but a router's gradient of %a", l.g[k]);
    layer_free(&l);
}
END_TEST

/* K = 1: softmax after the selection (or renormalised) leaves the router without a task gradient; first does not. */
/* evidence properties: L.3 */
START_TEST(top_one)
{
    layer l = layer_new(order_of(_i), phi_of(_i), 5, 3, 4, 4, 1);
    draw(&l, 101);
    ck_assert_int_eq(forward(&l, l.q), SMOE_OK);
    ck_assert_int_eq(vjp(&l, NULL, NULL), SMOE_OK);
    double largest = 0;
    for (size_t k = l.at[1]; k < l.at[3]; k++) largest = fmax(largest, fabs(l.g[k]));
    if (l.s.order == SMOE_SOFTMAX_TOPK)
        ck_assert_msg(largest > 1e-3, "Switch's order at K = 1: the router gets no gradient (%a)", largest);
    else
        ck_assert_msg(largest == 0, "order %d at K = 1: the router's gradient is %a, not 0", l.s.order, largest);
    layer_free(&l);
}
END_TEST

/* Copies of one expert and a router of zeros: experts 0 .. K-1 by the tie rule, and y is the expert's output over K. */
/* evidence properties: L.3 */
START_TEST(ties_of_an_upcycled_layer)
{
    enum { T = 3, d = 4, h = 5, N = 4, K = 2 };
    layer l = layer_new(order_of(_i), phi_of(_i), T, d, h, N, K);
    draw(&l, 111);
    for (size_t k = l.at[1]; k < l.at[3]; k++) l.q[k] = k % 2 ? 0.0 : -0.0;
    const size_t size[BLOCKS] = {0, 0, 0, h * d, h, d * h, d};
    for (int b = 3; b < BLOCKS; b++)
        for (size_t k = size[b]; k < N * size[b]; k++) l.q[l.at[b] + k] = l.q[l.at[b] + k % size[b]];
    ck_assert_int_eq(forward(&l, l.q), SMOE_OK);
    const double w = l.s.order == SMOE_SOFTMAX_TOPK ? 0.25 : 0.5;
    for (size_t t = 0; t < T; t++) {
        INDEX(l.out.index + t * K, ((size_t[]){0, 1}), (size_t)K, "index");
        for (size_t k = 0; k < d; k++) {
            double e = l.kept.o[l.kept.place[t * K] * d + k];
            ck_assert_msg(l.out.y[t * d + k] == 2 * w * e, "y is %a, the expert says %a", l.out.y[t * d + k], e);
        }
        ck_assert_msg(l.out.margin[t] == 0, "margin of a tie is %a", l.out.margin[t]);
    }
    layer_free(&l);
}
END_TEST

/* An expert without tokens: its gradients are exactly 0, whatever was there before.  No tokens: everyone's are. */
/* evidence properties: L.2 L.3 */
START_TEST(idle_experts)
{
    enum { N = 4 };
    for (size_t T = 0; T <= 5; T += 5) {
        layer l = layer_new(order_of(_i), phi_of(_i), T, 3, 4, N, 2);
        draw(&l, 121);
        l.q[l.at[2] + 2] = -50; /* expert 2 is never chosen */
        ck_assert_int_eq(forward(&l, l.q), SMOE_OK);
        ck_assert_int_eq(vjp(&l, NULL, NULL), SMOE_OK);
        ck_assert_msg(l.kept.offset[2] == l.kept.offset[3], "expert 2 was chosen");
        for (int b = 1; b < BLOCKS; b++)
            for (size_t k = l.at[b]; k < l.at[b + 1]; k++) {
                size_t each = (l.at[b + 1] - l.at[b]) / N, i = (k - l.at[b]) / each;
                if (T == 0 || (i == 2 && b >= 3))
                    ck_assert_msg(l.g[k] == 0, "T = %zu: d_%s of idle expert %zu is %a", T, block_name[b], i, l.g[k]);
            }
        layer_free(&l);
    }
}
END_TEST

/* Logits of 1e300: no overflow, weight 1 for the winner. */
/* evidence properties: L.3 */
START_TEST(huge_logits)
{
    layer l = layer_new(order_of(_i), phi_of(_i), 4, 3, 4, 4, 2);
    draw(&l, 131);
    for (size_t k = l.at[1]; k < l.at[2]; k++) l.q[k] *= 1e300;
    ck_assert_int_eq(forward(&l, l.q), SMOE_OK);
    ck_assert_int_eq(vjp(&l, NULL, NULL), SMOE_OK);
    for (size_t t = 0; t < 4; t++)
        ck_assert_msg(l.out.weight[2 * t] == 1 && l.out.weight[2 * t + 1] == 0, "weight %a", l.out.weight[2 * t]);
    layer_free(&l);
}
END_TEST

/* --- errors --- */

static bool poison(const void *p, size_t bytes)
{
    const unsigned char *byte = p;
    for (size_t k = 0; k < bytes; k++)
        if (byte[k] != 0x5a) return false;
    return true;
}

static bool outputs_untouched(const layer *l)
{
    const size_t T = l->s.T, A = T * l->s.K, d = l->s.d, h = l->s.h, N = l->s.N, D = sizeof(double), Z = sizeof(size_t);
    return poison(l->out.y, T * d * D) && poison(l->out.r, T * N * D) && poison(l->out.index, A * Z) &&
           poison(l->out.weight, A * D) && poison(l->out.margin, T * D) && poison(l->kept.offset, (N + 1) * Z) &&
           poison(l->kept.slot, A * Z) && poison(l->kept.place, A * Z) && poison(l->kept.p, T * N * D) &&
           poison(l->kept.xs, A * d * D) && poison(l->kept.o, A * d * D) && poison(l->kept.a, A * h * D) &&
           poison(l->kept.u, A * h * D);
}

START_TEST(non_finite_inputs_are_refused)
{
    layer l = layer_new(SMOE_TOPK_SOFTMAX, SMOE_RELU, 3, 2, 2, 3, 2);
    draw(&l, 141);
    const double bad[3] = {NAN, INFINITY, -INFINITY};
    for (size_t k = 0; k < l.n; k++) {
        double right = l.q[k];
        l.q[k] = bad[k % 3];
        ck_assert_int_eq(forward(&l, l.q), SMOE_EDOM);
        ck_assert_msg(outputs_untouched(&l), "element %zu is refused, but something was written", k);
        l.q[k] = right;
    }
    ck_assert_int_eq(forward(&l, l.q), SMOE_OK);
    for (size_t k = 0; k < l.n; k++) {
        double right = l.q[k];
        l.q[k] = bad[k % 3];
        ck_assert_int_eq(vjp(&l, l.dweight, l.dr), SMOE_EDOM);
        l.q[k] = right;
    }
    double *cotangent[3] = {l.dy, l.dweight, l.dr};
    for (int i = 0; i < 3; i++) {
        double right = cotangent[i][4];
        cotangent[i][4] = bad[i];
        ck_assert_int_eq(vjp(&l, l.dweight, l.dr), SMOE_EDOM);
        cotangent[i][4] = right;
    }
    ck_assert_msg(poison(l.g, l.n * sizeof(double)), "the vjp refused, but wrote a gradient");
    ck_assert_msg(poison(l.work, smoe_layer_vjp_work(&l.s) * sizeof(double)), "the vjp refused, but used its room");
    layer_free(&l);
}
END_TEST

START_TEST(sizes_that_make_no_sense)
{
    const smoe_layer_shape good = {SMOE_TOPK_SOFTMAX, SMOE_RELU, 1, 1, 1, 2, 1};
    smoe_layer_shape bad[7] = {good, good, good, good, good, good, good};
    bad[0].d = 0;
    bad[1].h = 0;
    bad[2].K = 0;
    bad[3].K = 3;
    bad[4].N = 0;
    bad[5].order = (smoe_weight_order)5;
    bad[6].phi = (smoe_activation)5;
    layer l = layer_new(good.order, good.phi, 2, 2, 2, 3, 3);
    for (size_t k = 0; k < l.n; k++) l.q[k] = NAN; /* the sizes are looked at first */
    for (int i = 0; i < 7; i++) {
        const smoe_layer_in in = in_of(&l, l.q);
        const smoe_layer_grad grad = {l.g, l.g, l.g, l.g, l.g, l.g, l.g};
        ck_assert_int_eq(smoe_layer(&bad[i], &in, &l.out, &l.kept), SMOE_EINVAL);
        ck_assert_int_eq(smoe_layer_vjp(&bad[i], &in, &l.out, &l.kept, l.q, NULL, NULL, &grad, l.work), SMOE_EINVAL);
        ck_assert_msg(outputs_untouched(&l) && poison(l.g, l.n * sizeof(double)), "shape %d: something was written", i);
    }
    const double *q = l.q;
    double *g = l.g;
    size_t *z = l.kept.slot;
    const smoe_activation f = SMOE_RELU;
    ck_assert_int_eq(smoe_experts(f, 1, 0, 1, 2, 1, q, q, q, q, q, z, z, g, g, g, g), SMOE_EINVAL);
    ck_assert_int_eq(smoe_experts(f, 1, 1, 1, 2, 3, q, q, q, q, q, z, z, g, g, g, g), SMOE_EINVAL);
    ck_assert_int_eq(smoe_experts_vjp(f, 1, 1, 0, 2, 1, q, q, z, z, q, q, q, q, g, g, g, g, g, g, g), SMOE_EINVAL);
    ck_assert_int_eq(smoe_combine(1, 0, 1, q, z, q, g), SMOE_EINVAL);
    ck_assert_int_eq(smoe_combine(1, 1, 0, q, z, q, g), SMOE_EINVAL);
    ck_assert_int_eq(smoe_combine_vjp(1, 0, 1, q, z, q, q, g, g), SMOE_EINVAL);
    layer_free(&l);
}
END_TEST

START_TEST(indices_out_of_range)
{
    const size_t choice[] = {0, 1, 2, 1};
    size_t z[3][5];
    memset(z, 0x5a, sizeof z);
    ck_assert_int_eq(smoe_dispatch(4, 2, choice, z[0], z[1], z[2]), SMOE_EDOM);
    ck_assert_int_eq(smoe_dispatch(1, 0, choice, z[0], z[1], z[2]), SMOE_EDOM);
    ck_assert_msg(poison(z, sizeof z), "L.1 refused a choice, but wrote something");

    /* lists that cannot come from L.1 for A = 2, N = 2, then a slot out of range */
    const size_t lists[4][3] = {{1, 1, 2}, {0, 1, 1}, {0, 3, 2}, {0, 1, 2}}, slot[] = {0, 2}, fine[] = {0, 1};
    double one[4] = {1, 1, 1, 1}, out[8][4];
    memset(out, 0x5a, sizeof out);
    for (int i = 0; i < 4; i++) {
        const double *q = one;
        const size_t *rows = i < 3 ? fine : slot;
        ck_assert_int_eq(
            smoe_experts(SMOE_RELU, 1, 1, 1, 2, 2, q, q, q, q, q, lists[i], rows, out[0], out[1], out[2], out[3]),
            SMOE_EDOM);
        ck_assert_int_eq(smoe_experts_vjp(SMOE_RELU, 1, 1, 1, 2, 2, q, q, lists[i], rows, q, q, q, q, out[0], out[1],
                                          out[2], out[3], out[4], out[5], out[6]),
                         SMOE_EDOM);
    }
    ck_assert_int_eq(smoe_combine(1, 1, 2, one, slot, one, out[0]), SMOE_EDOM);
    ck_assert_int_eq(smoe_combine_vjp(1, 1, 2, one, slot, one, one, out[0], out[1]), SMOE_EDOM);
    ck_assert_msg(poison(out, sizeof out), "an index was refused, but something was written");
}
END_TEST

/* The pieces check what they are given themselves; here one NaN in each argument of each piece. */
START_TEST(pieces_refuse_non_finite_values)
{
    const size_t offset[] = {0, 1}, zero[] = {0};
    double v[5] = {1, 1, 1, 1, 1}, out[8];
    memset(out, 0x5a, sizeof out);
    for (int i = 0; i < 5; i++) {
        v[i] = NAN;
        ck_assert_int_eq(smoe_experts(SMOE_RELU, 1, 1, 1, 1, 1, v, v + 1, v + 2, v + 3, v + 4, offset, zero, out,
                                      out + 1, out + 2, out + 3),
                         SMOE_EDOM);
        v[i] = 1;
    }
    for (int i = 0; i < 6; i++) {
        double q[6] = {1, 1, 1, 1, 1, 1};
        q[i] = NAN;
        ck_assert_int_eq(smoe_experts_vjp(SMOE_RELU, 1, 1, 1, 1, 1, q, q + 1, offset, zero, q + 2, q + 3, q + 4, q + 5,
                                          out, out + 1, out + 2, out + 3, out + 4, out + 5, out + 6),
                         SMOE_EDOM);
    }
    for (int i = 0; i < 3; i++) {
        v[i] = INFINITY;
        if (i < 2) ck_assert_int_eq(smoe_combine(1, 1, 1, v, zero, v + 1, out), SMOE_EDOM);
        ck_assert_int_eq(smoe_combine_vjp(1, 1, 1, v, zero, v + 1, v + 2, out, out + 1), SMOE_EDOM);
        v[i] = 1;
    }
    ck_assert_msg(poison(out, sizeof out), "a value was refused, but something was written");
}
END_TEST

/* Each stage in turn: gate, expert, combination; then the gradients of weight, r and x. */
START_TEST(overflow_is_reported)
{
    const double big = 0x1p600;
    for (int stage = 0; stage < 3; stage++) {
        layer l = layer_new(SMOE_SOFTMAX_TOPK_RENORM, SMOE_RELU, 1, 1, 1, 2, 2);
        for (size_t k = 0; k < l.n; k++) l.q[k] = 1;
        l.q[0] = big;
        if (stage == 0) l.q[l.at[1]] = big; /* r overflows */
        if (stage == 1) l.q[l.at[1]] = l.q[l.at[1] + 1] = 0, l.q[l.at[3]] = big; /* a overflows */
        if (stage == 2) { /* y = 1/2 o + 1/2 o with o near the largest double */
            l.q[l.at[1]] = l.q[l.at[1] + 1] = 0;
            l.q[l.at[6]] = l.q[l.at[6] + 1] = 0x1.fffffffffffffp1023;
            l.q[l.at[5]] = l.q[l.at[5] + 1] = 0;
        }
        ck_assert_int_eq(forward(&l, l.q), stage == 2 ? SMOE_OK : SMOE_EOVRFLW);
        if (stage == 2) {
            l.dy[0] = 4; /* <dy, o> overflows */
            ck_assert_int_eq(vjp(&l, NULL, NULL), SMOE_EOVRFLW);
            l.dy[0] = 1;
            const double dweight[] = {0x1.fp1023, -0x1.fp1023}, dr[] = {0x1.fp1023, -0x1.fp1023};
            ck_assert_int_eq(vjp(&l, dweight, NULL), SMOE_EOVRFLW); /* the sum of the two cotangents overflows */
            l.dy[0] = 0;
            ck_assert_int_eq(vjp(&l, dweight, dr), SMOE_EOVRFLW); /* so does that of r */
        }
        layer_free(&l);
    }
    const double half[] = {1, 1}, o[] = {0x1.fp1023, 0x1.fp1023}, dy = 2;
    const size_t place[] = {0, 1};
    double y, do_[2], dweight[2];
    ck_assert_int_eq(smoe_combine(1, 1, 2, half, place, o, &y), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_combine_vjp(1, 1, 2, half, place, o, &dy, do_, dweight), SMOE_EOVRFLW);
    const size_t offset[] = {0, 1, 2};
    const double one[] = {1, 1}, w1[] = {0x1p1023, 0x1p1023}, ux[] = {0, 0};
    double g[10];
    ck_assert_int_eq(smoe_experts_vjp(SMOE_RELU, 1, 1, 1, 2, 2, w1, one, offset, place, ux, one, ux, one, g, g + 1,
                                      g + 3, g + 5, g + 7, do_, dweight),
                     SMOE_EOVRFLW); /* 2^1023 + 2^1023 in dx */
}
END_TEST

/* The last number of one array is beyond the format, and no other number is. */
START_TEST(overflow_of_the_last_number)
{
    const size_t T = _i ? 5 : 2, D = 3, H = _i ? 2 : 4, N = _i ? 2 : 5, K = 2, A = T * K;
    const double big = LONE_BIG, top = LONE_TOP;
    double *b[8];
    for (int i = 0; i < 8; i++) b[i] = zeros();
    size_t offset[6] = {0}, place[10], index[10], two[] = {0, T, A}, crossed[10]; /* the last expert has all but one */
    for (size_t i = 1; i <= N; i++) offset[i] = i < N ? 1 : A;
    for (size_t k = 0; k < A; k++) place[k] = k, index[k] = k % K ? N - 1 : 0, crossed[k] = k % K * T + k / K;
    LONE_OVERFLOW(smoe_combine(T, D, K, lone(A, big), place, lone(A * D, big), b[0]));
    LONE_OVERFLOW(smoe_combine_vjp(T, D, K, lone(A, big), place, zeros(), lone(T * D, big), b[0], b[1])); /* do */
    LONE_OVERFLOW(smoe_combine_vjp(T, D, K, zeros(), place, lone(A * D, big), lone(T * D, big), b[0], b[1]));

    /* dx of the second token from its two choices, each finite: da = top, dxs = top. */
    double *a = lone(A * H, 1), *dy = lone(A * D, 1), *w1 = lone(2 * H * D, 1), *w2 = lone(2 * D * H, top);
    a[T * H - 1] = dy[T * D - 1] = w1[H * D - 1] = 1, w2[D * H - 1] = top;
    LONE_OVERFLOW(smoe_experts_vjp(SMOE_RELU, T, D, H, 2, K, w1, w2, two, crossed, zeros(), a, zeros(), dy, b[0], b[1],
                                   b[2], b[3], b[4], b[5], b[6]));
    ck_assert_msg(isinf(b[0][T * D - 1]) && smoe_all_finite(T * D - 1, b[0]), "dx is to overflow in its last number");

    /* The sums inside the layer's gradient: with a cotangent of the weights, of the logits, and of the two parts of dx. */
    const smoe_layer_shape s = {SMOE_TOPK_SOFTMAX, SMOE_RELU, T, D, H, N, K};
    const smoe_layer_grad grad = {b[0], b[1], b[2], b[3], b[4], b[5], b[6]};
    const smoe_layer_in flat = {zeros(), zeros(), zeros(), zeros(), zeros(), zeros(), zeros()},
                        steep = {zeros(), lone(N * D, top),     zeros(), lone(N * H * D, 1),
                                 zeros(), lone(N * D * H, top), zeros()};
    const smoe_layer_out out = {zeros(), zeros(), index, zeros(), zeros()},
                         half = {zeros(), zeros(), index, lone(A, 0.5), zeros()};
    const smoe_layer_kept kept = {offset, place, place, zeros(), zeros(), lone(A * D, top), zeros(), zeros()},
                          active = {offset, place, place, zeros(), zeros(), zeros(), lone(A * H, 1), zeros()};
    ck_assert_uint_le(smoe_layer_vjp_work(&s), 160);
    LONE_OVERFLOW(smoe_layer_vjp(&s, &flat, &out, &kept, lone(T * D, 1), lone(A, top), NULL, &grad, b[7]));
    LONE_OVERFLOW(
        smoe_layer_vjp(&s, &flat, &half, &active, zeros(), lone(A, 0x1.fp1023), lone(T * N, 0x1.fp1023), &grad, b[7]));
    LONE_OVERFLOW(smoe_layer_vjp(&s, &steep, &half, &active, lone(T * D, 2), lone(A, 4), NULL, &grad, b[7]));
    ck_assert_msg(isinf(b[0][T * D - 1]) && smoe_all_finite(T * D - 1, b[0]), "dx is to overflow in its last number");
}
END_TEST

/* The last number of one input of a piece is none, or its last index is beyond the end. */
START_TEST(the_last_number_is_refused)
{
    const size_t T = _i ? 5 : 2, D = 3, H = _i ? 2 : 4, N = _i ? 2 : 5, K = 2, A = T * K;
    double *b[7];
    for (int i = 0; i < 7; i++) b[i] = zeros();
    size_t offset[6] = {0}, list[10], far[10];
    offset[N] = A; /* the last expert has all */
    for (size_t k = 0; k < A; k++) list[k] = k, far[k] = k < A - 1 ? k : A;
    for (int bad = 0; bad < 7; bad++) {
#define LAST(i, n) lone(n, bad == (i) ? NAN : 0)
        const size_t *at = bad == 6 ? far : list;
        if (bad != 5)
            LONE_REFUSED(smoe_experts(SMOE_RELU, T, D, H, N, K, LAST(0, T * D), LAST(1, N * H * D), LAST(2, N * H),
                                      LAST(3, N * D * H), LAST(4, N * D), offset, at, b[0], b[1], b[2], b[3]));
        LONE_REFUSED(smoe_experts_vjp(SMOE_RELU, T, D, H, N, K, LAST(0, N * H * D), LAST(1, N * D * H), offset, at,
                                      LAST(2, A * D), LAST(3, A * H), LAST(4, A * H), LAST(5, A * D), b[0], b[1], b[2],
                                      b[3], b[4], b[5], b[6]));
        if (bad < 2 || bad == 6) LONE_REFUSED(smoe_combine(T, D, K, LAST(0, A), at, LAST(1, A * D), b[0]));
        if (bad < 3 || bad == 6)
            LONE_REFUSED(smoe_combine_vjp(T, D, K, LAST(0, A), at, LAST(1, A * D), LAST(2, T * D), b[0], b[1]));
#undef LAST
    }
    size_t none[6] = {0}, back[6] = {0}, room[3][10];
    none[N] = A - 1;
    back[N] = A, back[N - 1] = A + 1; /* the last list ends before it begins */
    LONE_REFUSED(smoe_experts(SMOE_RELU, T, D, H, N, K, zeros(), zeros(), zeros(), zeros(), zeros(), none, list, b[0],
                              b[1], b[2], b[3]));
    LONE_REFUSED(smoe_experts(SMOE_RELU, T, D, H, N, K, zeros(), zeros(), zeros(), zeros(), zeros(), back, list, b[0],
                              b[1], b[2], b[3]));
    for (size_t k = 0; k < A; k++) far[k] = k < A - 1 ? 0 : N;
    LONE_REFUSED(smoe_dispatch(A, N, far, room[0], room[1], room[2]));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("layer");
    TCase *t = tcase_create("L.1 to L.3");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, dispatch_by_hand);
    tcase_add_test(t, layer_by_hand);
    tcase_add_test(t, gradient_by_hand);
    tcase_add_test(t, other_cotangents_by_hand);
    tcase_add_loop_test(t, gradient_is_the_slope, 0, VARIANTS);
    tcase_add_loop_test(t, a_wrong_gradient_is_seen, 0, VARIANTS);
    tcase_add_test(t, dispatch_is_its_definition);
    tcase_add_loop_test(t, grouping_changes_no_bit, 0, VARIANTS);
    tcase_add_loop_test(t, parameter_gradients_take_tokens_in_order, 0, VARIANTS);
    tcase_add_loop_test(t, permutations, 0, VARIANTS);
    tcase_add_loop_test(t, all_chosen_is_a_dense_mixture, 0, VARIANTS);
    tcase_add_loop_test(t, one_expert, 0, VARIANTS);
    tcase_add_loop_test(t, top_one, 0, VARIANTS);
    tcase_add_loop_test(t, ties_of_an_upcycled_layer, 0, VARIANTS);
    tcase_add_loop_test(t, idle_experts, 0, VARIANTS);
    tcase_add_loop_test(t, huge_logits, 0, VARIANTS);
    tcase_add_test(t, non_finite_inputs_are_refused);
    tcase_add_test(t, sizes_that_make_no_sense);
    tcase_add_test(t, indices_out_of_range);
    tcase_add_test(t, pieces_refuse_non_finite_values);
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
