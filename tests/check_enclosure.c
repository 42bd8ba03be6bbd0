/* The twin: its tape against hand-known values and finite differences, the roundings it injects against simulated
 * implementations that round, and the wrong variants against what they are said to do. */
#include <check.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "own_process.h"
#include "tape_rounding.h"
#include "twin.h"

enum { PREC = 256 };

/* --- small helpers ----------------------------------------------------------------------------------------------- */

/* A linear congruential generator: the same numbers everywhere. */
static uint64_t state = 1;

static double draw(void) /* [0,1), 24 bits */
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 40) / 16777216;
}

static size_t below(size_t n) { return (size_t)(draw() * (double)n); }

/* Multiples of 1/16 in [-4, 4), never 0: exact in every format, and exact after a step of a finite difference. */
static double small(void)
{
    const double x = floor(draw() * 128) / 16 - 4;
    return x == 0 ? 0.3125 : x;
}

static void fill(size_t n, double *x)
{
    for (size_t i = 0; i < n; i++) x[i] = small();
}

static double radius(arb_srcptr v) { return mag_get_d(arb_radref(v)); }

/* The ball holds the number written in decimal, and is narrow. */
static void holds(arb_srcptr v, const char *decimal, const char *what)
{
    arb_t x;
    arb_init(x);
    ck_assert(arb_set_str(x, decimal, PREC) == 0);
    arf_t d;
    arf_init(d);
    arf_sub(d, arb_midref(v), arb_midref(x), 64, ARF_RND_NEAR);
    ck_assert_msg(fabs(arf_get_d(d, ARF_RND_NEAR)) <= 1e-29 && radius(v) <= 1e-29, "%s: %s expected, off by %g", what,
                  decimal, arf_get_d(d, ARF_RND_NEAR));
    arf_clear(d);
    arb_clear(x);
}

static double centre(arb_srcptr v) { return arf_get_d(arb_midref(v), ARF_RND_NEAR); }

/* --- values known by hand ---------------------------------------------------------------------------------------- */

START_TEST(functions_have_their_known_values)
{
    static const struct {
        tape_function f;
        double x;
        const char *value, *slope;
    } known[] = {
        {TAPE_EXP, 1, "2.71828182845904523536028747135266", "2.71828182845904523536028747135266"},
        {TAPE_EXPM1, 1, "1.71828182845904523536028747135266", "2.71828182845904523536028747135266"},
        {TAPE_LOG, 2, "0.69314718055994530941723212145818", "0.5"},
        {TAPE_LOG1P, 1, "0.69314718055994530941723212145818", "0.5"},
        {TAPE_TANH, 1, "0.76159415595576488811945828260479", "0.41997434161402606939449673904170"},
        {TAPE_ERF, 1, "0.84270079294971486934122063508261", "0.41510749742059470334026824945115"},
        {TAPE_ERFC, 1, "0.15729920705028513065877936491739", "-0.41510749742059470334026824945115"},
        {TAPE_SQUARE, -1.5, "2.25", "-3"},
        {TAPE_RELU, 2.5, "2.5", "1"},
        {TAPE_RELU, -2.5, "0", "0"},
        {TAPE_RELU, 0, "0", "0"},
        {TAPE_SIGMOID, 0, "0.5", "0.25"},
        {TAPE_SIGMOID, 1, "0.73105857863000487925115924182184", "0.19661193324148185253742473358590"},
        {TAPE_SOFTPLUS, 0, "0.69314718055994530941723212145818", "0.5"},
        {TAPE_SOFTPLUS, 1, "1.31326168751822283404899549496786", "0.73105857863000487925115924182184"},
        {TAPE_SOFTPLUS20, 21, "21", "1"},
        {TAPE_SILU, 0, "0", "0.5"},
        {TAPE_SILU, 1, "0.73105857863000487925115924182184", "0.92767051187148673178858397540774"},
        {TAPE_GELU, 0, "0", "0.5"},
        {TAPE_GELU, 1, "0.84134474606854294858523254563189", "1.08331547058768629838306273856759"},
        {TAPE_GELU_TANH, 0, "0", "0.5"},
        {TAPE_NORMAL_CDF, 1, "0.84134474606854294858523254563189", "0.24197072451914334979783019293556"},
        {TAPE_NORMAL_PDF, 0, "0.39894228040143267793994605993438", "0"},
        {TAPE_SQRT, 2.25, "1.5", "0.33333333333333333333333333333333"},
        {TAPE_SQRT, 2, "1.41421356237309504880168872420970", "0.35355339059327376220042218105242"},
        {TAPE_XLOGX, 1, "0", "1"},
        {TAPE_XLOGX, 2, "1.38629436111989061883446424291635", "1.69314718055994530941723212145818"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const double one = 1;
        char what[64];
        tape *t = tape_new(NULL, PREC);
        tape_node *x = tape_leaf(t, 1, 1, &known[i].x, true), *y = tape_apply(t, known[i].f, x);
        tape_seed(t, y, &one);
        tape_backward(t);
        snprintf(what, sizeof what, "function %d at %g", (int)known[i].f, known[i].x);
        holds(y->v, known[i].value, what);
        arb_t zero;
        arb_init(zero);
        holds(tape_gradient(x) ? tape_gradient(x) : zero, known[i].slope, what);
        arb_clear(zero);
        tape_free(t);
    }
}
END_TEST

/* a = (1 2; 3 4), b = (5 6; 7 8) */
START_TEST(products_and_sums_have_their_known_values)
{
    const double a4[] = {1, 2, 3, 4}, b4[] = {5, 6, 7, 8}, ones[] = {1, 1, 1, 1};
    const double nn[] = {19, 22, 43, 50}, nt[] = {17, 23, 39, 53}, tn[] = {26, 30, 38, 44}, da[] = {11, 15, 11, 15};
    tape *t = tape_new(NULL, PREC);
    tape_node *a = tape_leaf(t, 2, 2, a4, true), *b = tape_leaf(t, 2, 2, b4, true);
    tape_node *y[3] = {tape_matmul_nn(t, a, b), tape_matmul_nt(t, a, b), tape_matmul_tn(t, a, b)};
    const double *known[3] = {nn, nt, tn};
    for (size_t i = 0; i < 3; i++)
        for (size_t e = 0; e < 4; e++)
            ck_assert_msg(centre(y[i]->v + e) == known[i][e] && arb_is_exact(y[i]->v + e), "product %zu, element %zu",
                          i, e);
    tape_node *rows = tape_sum(t, a, TAPE_ROWS), *cols = tape_sum(t, a, TAPE_COLS), *all = tape_mean(t, a, TAPE_ALL, 4);
    ck_assert(centre(rows->v) == 4 && centre(rows->v + 1) == 6);
    ck_assert(centre(cols->v) == 3 && centre(cols->v + 1) == 7);
    ck_assert(centre(all->v) == 2.5);
    tape_seed(t, y[0], ones);
    tape_backward(t);
    for (size_t e = 0; e < 4; e++) ck_assert_msg(centre(tape_gradient(a) + e) == da[e], "d a: rows of b summed");
    tape_free(t);
}
END_TEST

START_TEST(norm_is_5_and_0_has_no_gradient)
{
    const double x[] = {3, 4, 0, 0, 1e-200, 0}, one[] = {1, 1, 1};
    tape *t = tape_new(NULL, PREC);
    tape_node *a = tape_leaf(t, 3, 2, x, true), *n = tape_norm(t, a);
    tape_seed(t, n, one);
    tape_backward(t);
    holds(n->v, "5", "norm of (3,4)");
    holds(tape_gradient(a), "0.6", "3/5");
    holds(tape_gradient(a) + 1, "0.8", "4/5");
    ck_assert_msg(arb_is_zero(n->v + 1) && arb_is_zero(tape_gradient(a) + 2), "the norm of a zero row has gradient 0");
    ck_assert_msg(centre(n->v + 2) == 1e-200, "no underflow of the squares");
    holds(tape_gradient(a) + 4, "1", "a tiny row still has a direction");
    tape_free(t);
}
END_TEST

/* --- gradients of each primitive against finite differences ------------------------------------------------------ */

typedef tape_node *primitive(tape *t, tape_node *a, tape_node *b, int kind);

static const size_t some_rows[] = {2, 0, 2, 1}, some_cols[] = {1, 0, 2, 2, 0, 1};

static tape_node *p_apply(tape *t, tape_node *a, tape_node *b, int k)
{
    (void)b;
    return tape_apply(t, (tape_function)k, a);
}

static tape_node *p_two(tape *t, tape_node *a, tape_node *b, int k)
{
    tape_node *(*const f[])(tape *, tape_node *, tape_node *) = {
        tape_add, tape_sub, tape_mul, tape_div, tape_matmul_nn, tape_matmul_nt, tape_matmul_tn};
    return f[k](t, a, b);
}

static tape_node *p_sum(tape *t, tape_node *a, tape_node *b, int k)
{
    (void)b;
    return k < 3 ? tape_sum(t, a, k) : tape_mean(t, a, k - 3, 7);
}

/* Everything that moves numbers about, and what is left over. */
static tape_node *p_move(tape *t, tape_node *a, tape_node *b, int k)
{
    tape_node *const two[] = {a, b, a};
    double c[] = {0.5, -1, 2};
    switch (k) {
    case 0:
        return tape_gather_rows(t, a, 4, some_rows);
    case 1:
        return tape_gather_cols(t, a, 2, some_cols);
    case 2:
        return tape_scatter_cols(t, tape_view(t, a, 0, 3, 1), 5, some_rows);
    case 3:
        return tape_concat_rows(t, 3, two);
    case 4:
        return tape_concat_cols(t, 3, two);
    case 5:
        return tape_mul(t, tape_view(t, a, 1, 1, 3), tape_view(t, a, 2, 1, 3));
    case 6:
        return tape_sum_groups(t, a, 3);
    case 7:
        return tape_scale(t, a, -0.375);
    case 8:
        return tape_offset(t, a, c, false);
    case 9:
        return tape_norm(t, a);
    case 10:
        return tape_max(t, a);
    case 11:
        return tape_distances(t, a);
    case 16:
        return tape_matmul_nt(t, a, a);
    case 12:
        return tape_kth(t, a, 4);
    case 13:
        return tape_either(t, tape_mul(t, a, b), tape_mul(t, tape_aside(t, b), tape_aside(t, a)));
    case 14: {
        tape_node *const opened[] = {tape_open(t, a), tape_open(t, b)};
        return tape_close(t, tape_sum(t, tape_mul(t, opened[0], opened[1]), TAPE_ALL), 2, opened);
    }
    default:
        return tape_add(t, tape_mul(t, a, a), tape_mul(t, tape_add(t, a, b), a)); /* many uses of one node */
    }
}

static const struct {
    const char *name;
    primitive *f;
    int kind;
    size_t ar, ac, br, bc;
    bool positive; /* arguments above 0 */
} primitives[] = {
    {"exp", p_apply, TAPE_EXP, 3, 3, 1, 1, false},
    {"expm1", p_apply, TAPE_EXPM1, 3, 3, 1, 1, false},
    {"log", p_apply, TAPE_LOG, 3, 3, 1, 1, true},
    {"log1p", p_apply, TAPE_LOG1P, 3, 3, 1, 1, true},
    {"tanh", p_apply, TAPE_TANH, 3, 3, 1, 1, false},
    {"erf", p_apply, TAPE_ERF, 3, 3, 1, 1, false},
    {"erfc", p_apply, TAPE_ERFC, 3, 3, 1, 1, false},
    {"square", p_apply, TAPE_SQUARE, 3, 3, 1, 1, false},
    {"relu", p_apply, TAPE_RELU, 3, 3, 1, 1, false},
    {"sigmoid", p_apply, TAPE_SIGMOID, 3, 3, 1, 1, false},
    {"softplus", p_apply, TAPE_SOFTPLUS, 3, 3, 1, 1, false},
    {"silu", p_apply, TAPE_SILU, 3, 3, 1, 1, false},
    {"gelu", p_apply, TAPE_GELU, 3, 3, 1, 1, false},
    {"gelu tanh", p_apply, TAPE_GELU_TANH, 3, 3, 1, 1, false},
    {"normal cdf", p_apply, TAPE_NORMAL_CDF, 3, 3, 1, 1, false},
    {"normal pdf", p_apply, TAPE_NORMAL_PDF, 3, 3, 1, 1, false},
    {"sqrt", p_apply, TAPE_SQRT, 3, 3, 1, 1, true},
    {"x log x", p_apply, TAPE_XLOGX, 3, 3, 1, 1, true},
    {"add", p_two, 0, 3, 2, 3, 2, false},
    {"add a row", p_two, 0, 3, 2, 1, 2, false},
    {"subtract a column", p_two, 1, 3, 2, 3, 1, false},
    {"subtract from a row", p_two, 1, 1, 2, 3, 2, false},
    {"multiply", p_two, 2, 3, 2, 3, 2, false},
    {"multiply by a row", p_two, 2, 3, 2, 1, 2, false},
    {"multiply by a column", p_two, 2, 3, 2, 3, 1, false},
    {"multiply a scalar", p_two, 2, 1, 1, 3, 2, false},
    {"outer product", p_two, 2, 3, 1, 1, 4, false},
    {"divide", p_two, 3, 3, 2, 3, 2, false},
    {"divide by a column", p_two, 3, 3, 2, 3, 1, false},
    {"divide a column", p_two, 3, 3, 1, 3, 2, false},
    {"matmul nn", p_two, 4, 3, 4, 4, 2, false},
    {"matmul nt", p_two, 5, 3, 4, 2, 4, false},
    {"matmul tn", p_two, 6, 4, 3, 4, 2, false},
    {"sum over rows", p_sum, TAPE_ROWS, 3, 2, 1, 1, false},
    {"sum over columns", p_sum, TAPE_COLS, 3, 2, 1, 1, false},
    {"sum over all", p_sum, TAPE_ALL, 3, 2, 1, 1, false},
    {"mean over rows", p_sum, 3 + TAPE_ROWS, 3, 2, 1, 1, false},
    {"mean over columns", p_sum, 3 + TAPE_COLS, 3, 2, 1, 1, false},
    {"mean over all", p_sum, 3 + TAPE_ALL, 3, 2, 1, 1, false},
    {"gather rows", p_move, 0, 3, 2, 1, 1, false},
    {"gather columns", p_move, 1, 3, 3, 1, 1, false},
    {"scatter columns", p_move, 2, 3, 1, 1, 1, false},
    {"concatenate rows", p_move, 3, 3, 2, 2, 2, false},
    {"concatenate columns", p_move, 4, 3, 2, 3, 1, false},
    {"views", p_move, 5, 3, 3, 1, 1, false},
    {"sum groups", p_move, 6, 6, 2, 1, 1, false},
    {"scale", p_move, 7, 3, 2, 1, 1, false},
    {"offset", p_move, 8, 3, 2, 1, 1, false},
    {"norm", p_move, 9, 3, 3, 1, 1, false},
    {"largest", p_move, 10, 3, 3, 1, 1, false},
    {"matmul with itself", p_move, 16, 4, 3, 1, 1, false},
    {"distances", p_move, 11, 4, 3, 1, 1, false},
    {"element of rank 4", p_move, 12, 3, 3, 1, 1, false},
    {"another route", p_move, 13, 3, 2, 3, 2, false},
    {"a number opened and closed", p_move, 14, 3, 2, 3, 2, false},
    {"several uses", p_move, 15, 3, 2, 3, 2, false},
};

/* sum of weight * y at (a, b), as a ball */
static tape_node *weighed(tape *t, size_t i, const double *a, const double *b, tape_node **leaf, double plant)
{
    double w[64];
    leaf[0] = tape_leaf(t, primitives[i].ar, primitives[i].ac, a, true);
    leaf[1] = tape_leaf(t, primitives[i].br, primitives[i].bc, b, true);
    tape_node *y = primitives[i].f(t, leaf[0], leaf[1], primitives[i].kind);
    for (size_t e = 0; e < y->rows * y->cols; e++) w[e] = 0.5 + (double)e / 8;
    tape_node *s = tape_sum(t, tape_mul(t, y, tape_leaf(t, y->rows, y->cols, w, false)), TAPE_ALL);
    return plant != 1 ? tape_scale_gradient(t, s, plant) : s;
}

/* The largest difference between the gradient and a central difference, relative to the gradient's size. */
static double departure(size_t i, double plant)
{
    const double one = 1, h = 0x1p-40;
    double x[2][64], worst = 0, size = 0;
    const size_t n[2] = {primitives[i].ar * primitives[i].ac, primitives[i].br * primitives[i].bc};
    for (size_t k = 0; k < 2; k++) {
        fill(n[k], x[k]);
        for (size_t e = 0; primitives[i].positive && e < n[k]; e++) x[k][e] = fabs(x[k][e]);
    }
    tape *t = tape_new(NULL, PREC);
    tape_node *leaf[2], *other[2], *s = weighed(t, i, x[0], x[1], leaf, plant);
    tape_seed(t, s, &one);
    tape_backward(t);
    arf_t d;
    arf_init(d);
    for (size_t k = 0; k < 2; k++)
        for (size_t e = 0; e < n[k]; e++) {
            const double at = x[k][e];
            tape *u = tape_new(NULL, PREC), *v = tape_new(NULL, PREC);
            x[k][e] = at + h;
            tape_node *above = weighed(u, i, x[0], x[1], other, 1);
            x[k][e] = at - h;
            tape_node *under = weighed(v, i, x[0], x[1], other, 1);
            x[k][e] = at;
            arf_sub(d, arb_midref(above->v), arb_midref(under->v), PREC, ARF_RND_NEAR);
            arf_mul_2exp_si(d, d, 39);
            arb_srcptr g = tape_gradient(leaf[k]);
            if (g) arf_sub(d, d, arb_midref(g + e), PREC, ARF_RND_NEAR);
            worst = fmax(worst, fabs(arf_get_d(d, ARF_RND_NEAR)));
            if (g) size = fmax(size, fabs(centre(g + e)));
            tape_free(u);
            tape_free(v);
        }
    arf_clear(d);
    tape_free(t);
    return worst / size;
}

START_TEST(gradients_agree_with_differences)
{
    state = 2;
    for (size_t i = 0; i < sizeof primitives / sizeof *primitives; i++) {
        const double d = departure(i, 1); /* the difference's own error is h^2 = 2^-80 times a third derivative */
        ck_assert_msg(d <= 1e-20, "%s: gradient departs from a central difference by %g", primitives[i].name, d);
    }
}
END_TEST

START_TEST(a_planted_wrong_gradient_is_seen)
{
    state = 2;
    for (size_t i = 0; i < sizeof primitives / sizeof *primitives; i++)
        ck_assert_msg(!(departure(i, 1 + 0x1p-50) <= 1e-20), "%s: a gradient wrong by 1e-15 passed",
                      primitives[i].name);
}
END_TEST

START_TEST(stopped_and_unwanted_get_nothing)
{
    const double x[] = {2, 3}, one[] = {1, 1};
    tape *t = tape_new(NULL, PREC);
    tape_node *a = tape_leaf(t, 1, 2, x, true), *b = tape_leaf(t, 1, 2, x, false);
    tape_node *y = tape_mul(t, tape_stop(t, a), b);
    ck_assert(!y->wants);
    tape_seed(t, y, one);
    tape_backward(t);
    ck_assert_ptr_null(tape_gradient(a));
    ck_assert_ptr_null(tape_gradient(b));
    tape_node *z = tape_mul(t, tape_stop(t, a), a); /* d/da = stop(a) alone */
    tape_seed(t, z, one);
    tape_backward(t);
    ck_assert(centre(tape_gradient(a)) == 2 && centre(tape_gradient(a) + 1) == 3);
    tape_free(t);
}
END_TEST

/* --- rounding: simulated implementations never leave the ball ---------------------------------------------------- */

static float stored(float x, bool bf16)
{
    if (!bf16) return x;
    uint32_t b;
    memcpy(&b, &x, sizeof b);
    b += 0x7fff + ((b >> 16) & 1);
    b &= 0xffff0000u;
    memcpy(&x, &b, sizeof b);
    return x;
}

static float pairwise(size_t n, const float *x)
{
    if (n == 1) return x[0];
    const size_t half = 1 + below(n - 1); /* any tree */
    return pairwise(half, x) + pairwise(n - half, x + half);
}

/* An inner product in float, in one of many ways: any order, any tree, fused or not. */
static float any_dot(size_t n, const float *x, size_t xs, const float *y, size_t ys)
{
    float p[128];
    size_t order[128];
    for (size_t k = 0; k < n; k++) order[k] = k;
    for (size_t k = n; k > 1; k--) { /* shuffled two times out of three */
        const size_t j = below(k), swap = order[j];
        order[j] = order[k - 1];
        order[k - 1] = swap;
    }
    if (below(3) == 0)
        for (size_t k = 0; k < n; k++) order[k] = k; /* as they come */
    float s = 0;
    if (below(2)) {
        for (size_t k = 0; k < n; k++) s = fmaf(x[order[k] * xs], y[order[k] * ys], s);
        return s;
    }
    for (size_t k = 0; k < n; k++) p[k] = x[order[k] * xs] * y[order[k] * ys];
    return n ? pairwise(n, p) : 0;
}

/* |got - exact| / bound; the exact value is in `exact`, the bound is the ball of the profile's run. */
static double ratio(float got, arb_srcptr exact, arb_srcptr ball)
{
    arf_t d;
    arf_init(d);
    arf_set_d(d, (double)got);
    arf_sub(d, d, arb_midref(exact), 64, ARF_RND_UP);
    const double error = fabs(arf_get_d(d, ARF_RND_UP)), bound = radius(ball);
    arf_clear(d);
    return error == 0 ? 0 : error / bound;
}

static double general(void) { return (double)(float)((draw() - 0.5) * exp2((double)below(8))); }

enum { M = 5, N = 4, MOST = 64 };

/* c = a b^T in a simulated precision against the ball of `profile`; the worst ratio over the elements. */
static double matmul_trial(const twin_profile *profile, bool bf16, size_t k)
{
    double a[M * MOST], b[N * MOST], worst = 0;
    float fa[M * MOST], fb[N * MOST];
    for (size_t i = 0; i < M * k; i++) a[i] = fa[i] = stored((float)general(), bf16);
    for (size_t i = 0; i < N * k; i++) b[i] = fb[i] = stored((float)general(), bf16);
    tape *exact = tape_new(NULL, 128), *t = tape_new(profile, 96);
    tape_node *y = tape_matmul_nt(exact, tape_leaf(exact, M, k, a, false), tape_leaf(exact, N, k, b, false));
    tape_node *z = tape_matmul_nt(t, tape_leaf(t, M, k, a, false), tape_leaf(t, N, k, b, false));
    for (size_t i = 0; i < M; i++)
        for (size_t j = 0; j < N; j++) {
            const float got = stored(any_dot(k, fa + i * k, 1, fb + j * k, 1), bf16);
            worst = fmax(worst, ratio(got, y->v + i * N + j, z->v + i * N + j));
        }
    tape_free(exact);
    tape_free(t);
    return worst;
}

START_TEST(no_summation_order_leaves_the_ball)
{
    static const char *const names[] = {"f32", "bf16"};
    for (size_t p = 0; p < 2; p++) {
        double worst = 0;
        state = 3;
        for (size_t trial = 0; trial < 200; trial++) { /* 20 elements each */
            const size_t k = 1 + below(trial < 100 ? 6 : MOST);
            const double r = matmul_trial(twin_profile_find(names[p]), p == 1, k);
            ck_assert_msg(r <= 1, "a product of %zu terms in %s errs by %g times its bound", k, names[p], r);
            worst = fmax(worst, r);
        }
        ck_assert_msg(worst > 0.3, "the bounds of %s are loose: nothing came nearer than %g of them", names[p], worst);
    }
}
END_TEST

START_TEST(a_bound_of_a_finer_format_is_exceeded)
{
    twin_profile fine = *twin_profile_find("f32");
    fine.storage.digits = fine.arithmetic.digits = 28; /* pretends that float has 4 bits more */
    double worst = 0;
    state = 3;
    for (size_t trial = 0; trial < 50; trial++) worst = fmax(worst, matmul_trial(&fine, false, 1 + below(8)));
    ck_assert_msg(worst > 1, "a float product stayed within 28 bits: the check above sees nothing");
}
END_TEST

/* Every simulated store and operation of y = W2 relu(W1 x) and its gradient, T tokens. */
enum { T = 3, D = 5, H = 7 };

typedef struct {
    float x[T * D], w1[H * D], w2[D * H], g[T * D];
    float a[T * H], r[T * H], y[T * D], dr[T * H], da[T * H], dx[T * D], dw1[H * D], dw2[D * H];
} expert;

static void simulate(expert *e, bool bf16)
{
    for (size_t t = 0; t < T; t++) {
        for (size_t i = 0; i < H; i++) {
            e->a[t * H + i] = stored(any_dot(D, e->x + t * D, 1, e->w1 + i * D, 1), bf16);
            e->r[t * H + i] = fmaxf(e->a[t * H + i], 0);
        }
        for (size_t i = 0; i < D; i++) e->y[t * D + i] = stored(any_dot(H, e->r + t * H, 1, e->w2 + i * H, 1), bf16);
        for (size_t i = 0; i < H; i++) {
            e->dr[t * H + i] = stored(any_dot(D, e->g + t * D, 1, e->w2 + i, H), bf16);
            e->da[t * H + i] = e->a[t * H + i] > 0 ? e->dr[t * H + i] : 0;
        }
        for (size_t i = 0; i < D; i++) e->dx[t * D + i] = stored(any_dot(H, e->da + t * H, 1, e->w1 + i, D), bf16);
    }
    for (size_t i = 0; i < H; i++)
        for (size_t j = 0; j < D; j++) {
            e->dw1[i * D + j] = stored(any_dot(T, e->da + i, H, e->x + j, D), bf16);
            e->dw2[j * H + i] = stored(any_dot(T, e->g + j, D, e->r + i, H), bf16);
        }
}

static void widen(size_t n, const float *x, double *y)
{
    for (size_t i = 0; i < n; i++) y[i] = (double)x[i];
}

/* [0] the output, [1] to [3] the leaves x, w1, w2 */
static void expert_on_tape(tape *t, const expert *e, tape_node *node[4])
{
    double x[T * D], w1[H * D], w2[D * H], g[T * D];
    widen(T * D, e->x, x);
    widen(H * D, e->w1, w1);
    widen(D * H, e->w2, w2);
    widen(T * D, e->g, g);
    node[1] = tape_leaf(t, T, D, x, true);
    node[2] = tape_leaf(t, H, D, w1, true);
    node[3] = tape_leaf(t, D, H, w2, true);
    node[0] = tape_matmul_nt(t, tape_apply(t, TAPE_RELU, tape_matmul_nt(t, node[1], node[2])), node[3]);
    tape_seed(t, node[0], g);
    tape_backward(t);
}

START_TEST(no_expert_leaves_the_ball_forward_or_back)
{
    static expert e;
    state = 4;
    for (size_t trial = 0; trial < 60; trial++)
        for (size_t p = 0; p < 2; p++) {
            float *const in[] = {e.x, e.w1, e.w2, e.g};
            const size_t n[] = {T * D, H * D, D * H, T * D};
            for (size_t k = 0; k < 4; k++)
                for (size_t i = 0; i < n[k]; i++) in[k][i] = stored((float)general(), p == 1);
            simulate(&e, p == 1);
            tape *exact = tape_new(NULL, 128), *t = tape_new(twin_profile_find(p ? "bf16" : "f32"), 96);
            tape_node *u[4], *v[4];
            expert_on_tape(exact, &e, u);
            expert_on_tape(t, &e, v);
            const float *const got[] = {e.y, e.dx, e.dw1, e.dw2};
            const size_t m[] = {T * D, T * D, H * D, D * H};
            for (size_t k = 0; k < 4; k++)
                for (size_t i = 0; i < m[k]; i++) {
                    arb_srcptr a = k ? tape_gradient(u[k]) : u[k]->v, b = k ? tape_gradient(v[k]) : v[k]->v;
                    const double r = a ? ratio(got[k][i], a + i, b + i) : 0;
                    ck_assert_msg(r <= 1, "tensor %zu element %zu in %s errs by %g times its bound", k, i,
                                  p ? "bf16" : "f32", r);
                }
            tape_free(exact);
            tape_free(t);
        }
}
END_TEST

/* --- squared distances, in the ways that are met: differences, a norm squared, the expansion of rows as they are or
 * centred --- */

enum { POINTS = 5, WIDE = 3 };

typedef struct {
    float x[POINTS * WIDE], g[POINTS * POINTS], d[POINTS * POINTS], dx[POINTS * WIDE];
} cloud;

static float expansion(const float *x, size_t i, size_t j)
{
    const float *a = x + i * WIDE, *b = x + j * WIDE;
    return any_dot(WIDE, a, 1, a, 1) + any_dot(WIDE, b, 1, b, 1) - 2 * any_dot(WIDE, a, 1, b, 1);
}

static float direct(const float *x, size_t i, size_t j, bool root, bool bf16)
{
    float d[WIDE], square[WIDE];
    for (size_t k = 0; k < WIDE; k++) {
        d[k] = stored(x[i * WIDE + k] - x[j * WIDE + k], bf16);
        square[k] = stored(d[k] * d[k], bf16);
    }
    if (!root) return pairwise(WIDE, square);
    const float r = stored(sqrtf(any_dot(WIDE, d, 1, d, 1)), bf16);
    return r * r;
}

/* dx_i = 2 sum_j (g_ij + g_ji) (x_i - x_j), or both parts of the difference by themselves */
static float pulled(const cloud *c, const float *x, size_t i, size_t k, bool apart, bool bf16)
{
    float term[POINTS], g[POINTS];
    for (size_t j = 0; j < POINTS; j++) {
        g[j] = c->g[i * POINTS + j] + c->g[j * POINTS + i];
        term[j] = stored(stored(g[j] * 2, bf16) * stored(x[i * WIDE + k] - x[j * WIDE + k], bf16), bf16);
    }
    if (!apart) return pairwise(POINTS, term);
    return 2 * (x[i * WIDE + k] * pairwise(POINTS, g) - any_dot(POINTS, g, 1, x + k, WIDE));
}

static void measure(cloud *c, size_t way, bool bf16)
{
    float y[POINTS * WIDE];
    for (size_t e = 0; e < POINTS * WIDE; e++) {
        float column[POINTS];
        for (size_t i = 0; i < POINTS; i++) column[i] = c->x[i * WIDE + e % WIDE];
        y[e] = way == 3 ? c->x[e] - pairwise(POINTS, column) / POINTS : c->x[e];
    }
    for (size_t e = 0; e < POINTS * POINTS; e++) {
        const size_t i = e / POINTS, j = e % POINTS;
        c->d[e] = stored(way < 2 ? direct(y, i, j, way == 1, bf16) : expansion(y, i, j), bf16);
    }
    for (size_t e = 0; e < POINTS * WIDE; e++)
        c->dx[e] = stored(pulled(c, y, e / WIDE, e % WIDE, way >= 2, bf16), bf16);
}

/* The worst ratio of a value or gradient to the ball of `profile`. */
static double distance_trial(const twin_profile *profile, size_t way, double offset, bool bf16)
{
    cloud c;
    double x[POINTS * WIDE], g[POINTS * POINTS], worst = 0;
    for (size_t e = 0; e < POINTS * WIDE; e++) x[e] = c.x[e] = stored((float)(offset + small()), bf16);
    for (size_t e = 0; e < POINTS * POINTS; e++) g[e] = c.g[e] = stored((float)general(), bf16);
    measure(&c, way, bf16);
    tape *t[2] = {tape_new(NULL, 128), tape_new(profile, 96)};
    tape_node *leaf[2], *y[2];
    for (size_t i = 0; i < 2; i++) {
        leaf[i] = tape_leaf(t[i], POINTS, WIDE, x, true);
        y[i] = tape_distances(t[i], leaf[i]);
        tape_seed(t[i], y[i], g);
        tape_backward(t[i]);
    }
    for (size_t e = 0; e < POINTS * POINTS; e++) worst = fmax(worst, ratio(c.d[e], y[0]->v + e, y[1]->v + e));
    for (size_t e = 0; e < POINTS * WIDE; e++)
        worst = fmax(worst, ratio(c.dx[e], tape_gradient(leaf[0]) + e, tape_gradient(leaf[1]) + e));
    tape_free(t[0]);
    tape_free(t[1]);
    return worst;
}

START_TEST(no_way_to_a_distance_leaves_the_ball)
{
    static const char *const ways[] = {"differences", "a norm squared", "the expansion",
                                       "the expansion of centred rows"};
    for (size_t bf16 = 0; bf16 < 2; bf16++)
        for (size_t way = 0; way < 4; way++) {
            double worst = 0;
            state = 11;
            for (size_t trial = 0; trial < 100; trial++)
                worst = fmax(worst, distance_trial(twin_profile_find(bf16 ? "bf16" : "f32"), way, 0, bf16));
            ck_assert_msg(worst <= 1, "%s in %s: %g times the bound", ways[way], bf16 ? "bf16" : "f32", worst);
            ck_assert_msg(worst > 0.02, "the bound for %s is loose: %g", ways[way], worst);
        }
}
END_TEST

/* Far from 0 the expansion is the mistake that it is known for, and centring before it is not. */
START_TEST(an_expansion_far_from_0_leaves_the_ball)
{
    double raw = INFINITY, centred = 0, differences = 0;
    state = 12;
    for (size_t trial = 0; trial < 20; trial++) {
        raw = fmin(raw, distance_trial(twin_profile_find("f32"), 2, 4096, false));
        centred = fmax(centred, distance_trial(twin_profile_find("f32"), 3, 4096, false));
        differences = fmax(differences, distance_trial(twin_profile_find("f32"), 0, 4096, false));
    }
    ck_assert_msg(raw > 10, "the expansion at an offset of 4096 errs by %g times the bound", raw);
    ck_assert_msg(centred <= 1 && differences <= 1, "%g, %g", centred, differences);
}
END_TEST

/* m contributions to one gradient, each addition stored */
START_TEST(no_order_of_contributions_leaves_the_ball)
{
    state = 5;
    for (size_t trial = 0; trial < 300; trial++) {
        const size_t m = 2 + below(6);
        const double one = 1;
        double x = (double)stored((float)general(), true), sum = 0, w[8];
        float s = 0;
        tape *t = tape_new(twin_profile_find("bf16"), 96);
        tape_node *a = tape_leaf(t, 1, 1, &x, true), *y = NULL;
        for (size_t i = 0; i < m; i++) {
            w[i] = (double)stored((float)general(), true);
            sum += w[i];
            s = stored(s + (float)w[i], true);
            tape_node *v = tape_scale(t, a, w[i]);
            y = y ? tape_add(t, y, v) : v;
        }
        tape_seed(t, y, &one);
        tape_backward(t);
        ck_assert_msg(fabs((double)s - sum) <= radius(tape_gradient(a)), "%zu contributions stored in bf16", m);
        tape_free(t);
    }
}
END_TEST

/* --- how large a bound is ------------------------------------------------------------------------------------------
 *
 * Each primitive at numbers that no format below holds the result of, so that nothing is exact.  The radius is compared with
 * what the rules at the head of tape.h and tape_apply.c give by hand, in units of a roundoff:
 *
 *   fine    arithmetic and storage of 40 digits: u = 2^-40, one operation and its store err by u
 *   coarse  arithmetic of 53 digits, storage of 20: v = 2^-20, one operation and its store err by v, what is not stored by nothing
 *           that shows
 *
 * To first order, and as exactly as Arb divides radii: within 2^-9. */

#define FORMAT(digits)                                                                                                 \
    {                                                                                                                  \
        "x", digits, 0x1p-900, 0x1p900                                                                                 \
    }
static const twin_profile fine = {"fine", FORMAT(40), FORMAT(40), 0x1p-20, false, NULL};
static const twin_profile coarse = {"coarse", FORMAT(20), FORMAT(53), 0x1p-20, false, NULL};

static double unit_of(const twin_profile *p) { return ldexp(1, -p->storage.digits); }

/* Is a radius that many units, to first order? */
static void is_units(double r, const twin_profile *p, double want, const char *what)
{
    const double got = r / unit_of(p);
    ck_assert_msg(fabs(got - want) <= 0x1p-9 * fabs(want), "%s, %s: %.9g units, expected %.9g", what, p->name, got,
                  want);
}

static tape_node *number(tape *t, double x) { return tape_leaf(t, 1, 1, &x, true); }

/* A number that fits into 20 digits, blurred to nothing: products and sums with it are not known to be exact. */
static tape_node *vague(tape *t, size_t rows, size_t cols, const double *x)
{
    double tiny[16];
    for (size_t i = 0; i < rows * cols; i++) tiny[i] = 0x1p-200;
    return tape_slack(t, tape_leaf(t, rows, cols, x, true), tiny, NULL);
}

static tape_node *vague_number(tape *t, double x) { return vague(t, 1, 1, &x); }

START_TEST(what_is_read_has_one_rounding)
{
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        const double x = 1.5 + 0x1p-45, seed = 3 + 0x1p-45;
        tape *t = tape_new(p, 200);
        tape_node *a = number(t, x);
        is_units(radius(a->v), p, 1.5, "a leaf");
        tape_seed(t, a, &seed);
        tape_backward(t);
        is_units(radius(tape_gradient(a)), p, 3, "a cotangent");
        const size_t count[] = {5, 7};
        tape_node *share = tape_ratio(t, 1, 2, count, 3), *half = tape_ratio(t, 1, 2, count, 2),
                  *whole = tape_ratio(t, 1, 2, count, 1);
        is_units(radius(share->v), p, 2 * 5.0 / 3, "a count over 3, or times a rounded third");
        is_units(radius(share->v + 1), p, 2 * 7.0 / 3, "a count over 3");
        ck_assert(radius(half->v) == 0 && radius(whole->v) == 0 && centre(whole->v + 1) == 7 && centre(half->v) == 2.5);
        ck_assert(radius(tape_fill(t, 1, 1, x)->v) == 0);
        tape_free(t);
    }
}
END_TEST

START_TEST(an_operation_has_one_rounding_and_a_division_two)
{
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        const double g = 0.75;
        tape *t = tape_new(p, 200);
        tape_node *a = vague_number(t, 1.5), *b = vague_number(t, 3), *two = number(t, 2);
        is_units(radius(tape_add(t, a, b)->v), p, 4.5, "1.5 + 3");
        is_units(radius(tape_sub(t, a, b)->v), p, 1.5, "1.5 - 3");
        is_units(radius(tape_mul(t, a, b)->v), p, 4.5, "1.5 * 3");
        is_units(radius(tape_div(t, a, b)->v), p, 1, "1.5 / 3, or 1.5 times a rounded third");
        is_units(radius(tape_div(t, a, two)->v), p, 0.75, "1.5 / 2");
        is_units(radius(tape_scale(t, a, 0.5)->v), p, 0.75, "1.5 times a half");
        is_units(radius(tape_scale(t, a, 1 + 0x1p-50)->v), p, 3, "1.5 times a constant that is rounded itself");
        is_units(radius(tape_apply(t, TAPE_SQUARE, a)->v), p, 2.25, "1.5 squared");
        ck_assert(radius(tape_apply(t, TAPE_RELU, a)->v) < 0x1p-190);
        const double minus[] = {-2}, r0 = radius(tape_offset(t, a, minus, false)->v);
        is_units(r0, p, 0.5, "1.5 - 2");
        tape_free(t);
        /* gradients, each of a tape of its own; g = 0.75, a = 1.5, b = 3 */
        static const struct {
            int kind;
            double a, b; /* units of the gradients of a and b */
        } row[] = {
            {0, 0, 0}, /* sum: g and g */
            {1, 0, 0}, /* difference: g and -g */
            {2, 2.25, 1.125}, /* product: g b and g a, rounded once */
            {3, 0.5, 0.75}, /* quotient: g / b twice u: 2 * 0.25; g q / b = 0.125, with 2 of q, 2 and 2 */
        };
        for (size_t k = 0; k < 4; k++) {
            t = tape_new(p, 200);
            a = vague_number(t, 1.5);
            b = vague_number(t, 3);
            tape_node *y = k == 0   ? tape_add(t, a, b)
                           : k == 1 ? tape_sub(t, a, b)
                           : k == 2 ? tape_mul(t, a, b)
                                    : tape_div(t, a, b);
            tape_seed(t, y, &g);
            tape_backward(t);
            const double ra = radius(tape_gradient(a->a)), rb = radius(tape_gradient(b->a));
            if (k < 2)
                ck_assert(ra == 0 && rb == 0 && centre(tape_gradient(a->a)) == g &&
                          centre(tape_gradient(b->a)) == (k ? -g : g));
            if (k >= 2) is_units(ra, p, row[k].a, k == 2 ? "g b" : "g / b");
            if (k >= 2) is_units(rb, p, row[k].b, k == 2 ? "g a" : "g q / b");
            tape_free(t);
        }
        t = tape_new(p, 200);
        a = vague_number(t, 1.5);
        tape_seed(t, tape_apply(t, TAPE_SQUARE, a), &g);
        tape_backward(t);
        is_units(radius(tape_gradient(a->a)), p, 2 * 2.25, "g x + g x");
        tape_free(t);
        t = tape_new(p, 200);
        a = vague_number(t, 1.5);
        const double odd = 0.75 + 0x1p-45;
        tape_seed(t, tape_scale(t, a, 0.5), &odd); /* the cotangent, and the product */
        tape_backward(t);
        is_units(radius(tape_gradient(a->a)), p, 2 * 0.375, "half a cotangent");
        tape_free(t);
    }
}
END_TEST

START_TEST(a_sum_has_a_rounding_for_each_term_but_one)
{
    const double x[] = {1.5, -3, 0, 0.75, 2.5, 1.25};
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        const double g[] = {0.75, 1.5, 0.5};
        tape *t = tape_new(p, 200);
        tape_node *a = vague(
            t, 2, 3, x); /* the rows (1.5 -3 0) and (0.75 2.5 1.25); the 0 is a term here: it is not known to be one */
        tape_node *rows = tape_sum(t, a, TAPE_ROWS), *cols = tape_sum(t, a, TAPE_COLS), *all = tape_sum(t, a, TAPE_ALL);
        is_units(radius(rows->v), p, 2.25, "1.5 + 0.75");
        is_units(radius(rows->v + 1), p, i ? 0.5 : 5.5,
                 "-3 + 2.5: of the magnitudes in the arithmetic, of the result in the storage");
        is_units(radius(cols->v), p, i ? 1.5 : 2 * 4.5, "three terms");
        is_units(radius(cols->v + 1), p, i ? 4.5 : 2 * 4.5, "three terms");
        is_units(radius(all->v), p, i ? 3 : 5 * 9.0, "six terms");
        tape_node *third = tape_mean(t, a, TAPE_COLS, 3), *fourth = tape_mean(t, a, TAPE_COLS, 4);
        is_units(radius(third->v + 1), p, i ? 3 * 1.5 : 4 * 1.5, "the sum, then a third of it");
        is_units(radius(fourth->v + 1), p, i ? 2 * 1.125 : 3 * 1.125, "the sum, then a fourth of it");
        tape_seed(t, third, g);
        tape_backward(t);
        is_units(radius(tape_gradient(a->a)), p, 2 * 0.25, "a third of g");
        is_units(radius(tape_gradient(a->a) + 5), p, 2 * 0.5, "a third of g");
        tape_free(t);
        t = tape_new(p, 200);
        a = vague(t, 6, 1, x);
        tape_node *groups = tape_sum_groups(t, a, 3), *pairs = tape_sum_groups(t, a, 2);
        is_units(radius(groups->v), p, 1.5 + 4.5, "the last sum, and one before it of at most 4.5");
        is_units(radius(groups->v + 1), p, 4.5 + 4.5, "the last sum, and one before it");
        is_units(radius(pairs->v + 2), p, 3.75, "one sum");
        ck_assert(groups->rows == 2 && pairs->rows == 3 && centre(groups->v + 1) == 4.5);
        tape_seed(t, pairs, g);
        tape_backward(t);
        for (size_t e = 0; e < 6; e++)
            ck_assert(centre(tape_gradient(a->a) + e) == g[e / 2] && radius(tape_gradient(a->a) + e) == 0);
        tape_free(t);
        /* contributions to one gradient are stored after each addition: of m, m - 1 sums */
        for (size_t m = 2; m <= 4; m++) {
            t = tape_new(p, 200);
            tape_node *c = number(t, 1), *s = NULL;
            for (size_t k = 0; k < m; k++) {
                const double slack[] = {0x1p-200};
                tape_node *part = tape_slack(t, c, NULL, slack);
                s = s ? tape_add(t, s, part) : part;
            }
            tape_seed(t, s, g);
            tape_backward(t);
            const double sum = 0.75 * (double)m;
            is_units(radius(tape_gradient(c)), p, sum + (double)(m - 2) * sum, "contributions");
            tape_free(t);
        }
    }
}
END_TEST

/* A repeated operand's gradient is a sum in the arithmetic. */
START_TEST(a_repeated_operand_gets_a_sum)
{
    const double x[] = {1.5, -3, 0.75, 2.5, 1.25, 0.5}, g[] = {0.5, 0.25, 1, 0.75, 1.5, 2};
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        tape *t = tape_new(p, 200);
        tape_node *a = vague(t, 2, 3, x), *row = vague(t, 1, 3, x), *col = vague(t, 2, 1, x),
                  *one = vague_number(t, 1.5);
        tape_seed(t, tape_mul(t, a, row), g);
        tape_backward(t);
        /* column 1: 0.25 * -3 and 1.5 * 2.5 * ... products (once) and their sum (once) */
        is_units(radius(tape_gradient(row->a) + 1), p,
                 i ? 0.25 * 3 + 1.5 * 1.25 + (1.5 * 1.25 - 0.75) : 2 * (0.25 * 3 + 1.5 * 1.25), "g a, two rows");
        is_units(radius(tape_gradient(a->a) + 4), p, 1.5 * 3, "g b");
        tape_free(t);
        t = tape_new(p, 200);
        a = vague(t, 2, 3, x);
        col = vague(t, 2, 1, x);
        tape_seed(t, tape_mul(t, a, col), g);
        tape_backward(t);
        /* row 1: g a = 0.75 * 2.5 + 1.5 * 1.25 + 2 * 0.5 = 4.75 */
        is_units(radius(tape_gradient(col->a) + 1), p, i ? 2 * 4.75 : 3 * 4.75, "g a, three columns");
        tape_free(t);
        t = tape_new(p, 200);
        a = vague(t, 2, 3, x);
        one = vague_number(t, 1.5);
        tape_together(t, 12); /* the half of what there is */
        tape_seed(t, tape_mul(t, one, a), g);
        tape_backward(t);
        /* g a: 0.75, -0.75, 0.75, 1.875, 1.875, 1: magnitudes 7, sum 5.5; products once, and 11 more */
        is_units(radius(tape_gradient(one->a)), p, i ? 7 + 5.5 : 12 * 7, "g a, of twelve");
        tape_free(t);
    }
}
END_TEST

START_TEST(a_product_of_matrices_has_a_rounding_for_each_term)
{
    /* a (1.5 -3 0.75), b (2 0.5 4): 3 - 1.5 + 3 = 4.5, magnitudes 7.5 */
    const double ax[] = {1.5, -3, 0.75}, bx[] = {2, 0.5, 4}, g[] = {0.75};
    for (int i = 0; i < 2; i++)
        for (int kind = 0; kind < 3; kind++)
            for (size_t together = 0; together <= 5; together += 5) {
                const twin_profile *p = i ? &coarse : &fine;
                tape *t = tape_new(p, 200);
                tape_node *a = kind == 2 ? vague(t, 3, 1, ax) : vague(t, 1, 3, ax),
                          *b = kind == 1 ? vague(t, 1, 3, bx) : vague(t, 3, 1, bx);
                tape_together(t, together);
                tape_node *y = kind == 0   ? tape_matmul_nn(t, a, b)
                               : kind == 1 ? tape_matmul_nt(t, a, b)
                                           : tape_matmul_tn(t, a, b);
                ck_assert(centre(y->v) == 4.5);
                is_units(radius(y->v), p, i ? 4.5 : 3 * 7.5, "three products");
                tape_seed(t, y, g);
                tape_backward(t);
                is_units(radius(tape_gradient(a->a) + 1), p, 0.375, "g b");
                is_units(radius(tape_gradient(b->a) + 2), p, i || !together ? 0.5625 : 5 * 0.5625,
                         "g a, of one row or of five");
                tape_free(t);
            }
    /* a a^T: da = (g + g^T) a; a = (1.5; -3), g = (0.75 0.5; 1 2): row 0: 1.5 (0.75 + 0.75) - 3 (0.5 + 1) = -2.25, magnitudes 6.75 */
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        const double gg[] = {0.75, 0.5, 1, 2};
        tape *t = tape_new(p, 200);
        tape_node *a = vague(t, 2, 1, ax);
        tape_seed(t, tape_matmul_nt(t, a, a), gg);
        tape_backward(t);
        ck_assert(centre(tape_gradient(a->a)) == -2.25);
        is_units(radius(tape_gradient(a->a)), p, i ? 2.25 + 2 * 6.75 : 4 * 6.75 + 2 * 6.75,
                 "four products, or two and two, stored");
        tape_free(t);
    }
}
END_TEST

START_TEST(norms_and_distances_by_hand)
{
    const double x[] = {3, 4}, g[] = {1, 1, 1, 1};
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        tape *t = tape_new(p, 200);
        tape_node *a = vague(t, 1, 2, x), *y = tape_norm(t, a);
        /* the sum of squares: 3 roundings and two stores, halved by the root, which has two; stored */
        const double norm = 0.5 * ((i ? 0 : 3) + 2) + 2 + 1;
        is_units(radius(y->v), p, norm * 5, "the norm of (3 4)");
        tape_seed(t, y, g);
        tape_backward(t);
        is_units(radius(tape_gradient(a->a)), p, (norm + 3 + 1) * 0.6, "x / n: n, three more steps, and the last");
        is_units(radius(tape_gradient(a->a) + 1), p, (norm + 3 + 1) * 0.8, "x / n");
        tape_free(t);
        /* the points -1.5 and 1.5: a distance of 9; their lengths 1.5 each */
        const double pair[] = {-1.5, 1.5};
        t = tape_new(p, 200);
        a = vague(t, 2, 1, pair);
        y = tape_distances(t, a);
        /* directly: four steps with their stores and a sum of p + 4; expanded: (p + 4) (1.5 + 1.5)^2, and once more where each is stored alike */
        is_units(radius(y->v + 1), p, i ? 4 * 9 : (4 + 5) * 9.0 + 2 * 5 * 9.0, "3 squared, or 2.25 + 2.25 + 2 * 2.25");
        is_units(radius(y->v), p, i ? 0x1p-33 * 5 * 9 : 2 * 5 * 9.0, "0, or 2.25 + 2.25 - 2 * 2.25");
        tape_seed(t, y, g);
        tape_backward(t);
        /* 2 (g + g) (x - x') = -12; d (g + g) = 6, reach (1.5 + 1.5) 2 = 6 */
        ck_assert(fabs(centre(tape_gradient(a->a)) + 12) < 1e-9);
        is_units(radius(tape_gradient(a->a)), p, i ? 8 * 6 + 12 : 2 * 12 * 10.0 + 8 * 6 + 12,
                 "10 terms of twice 12, eight steps, and a store");
        tape_free(t);
        /* far from 0 it is the centred rows, or four times the spread, that count: 15 and 17 are 1 from their mean */
        const double far[] = {15, 17};
        t = tape_new(p, 200);
        y = tape_distances(t, vague(t, 2, 1, far));
        is_units(radius(y->v + 1), p, i ? 4 * 4 : (4 + 5) * 4.0 + 2 * 5 * 64.0,
                 "2 squared, or rows of length 4 expanded");
        tape_free(t);
    }
}
END_TEST

/* (1 -2): minus the row's maximum, 1.  Its gradient is that of all, and who differentiates the maximum adds their errors to it. */
START_TEST(the_maximum_is_blamed)
{
    const double x[] = {1, -2}, minus[] = {-1}, g[] = {0.75 + 0x1p-45, 0.5}, blur[] = {0x1p-19, 0x1p-21};
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        for (int maximum = 0; maximum < 2; maximum++) {
            tape *t = tape_new(p, 200);
            tape_node *a = vague(t, 1, 2, x), *y = tape_offset(t, a, minus, maximum);
            tape_seed(t, y, g);
            tape_backward(t);
            /* the seed's own 0.75; of the maximum besides: that, 3 units and 3 of the arithmetic (one more than terms) of 1.25 */
            is_units(radius(tape_gradient(a->a)), p, 0.75 + maximum * (0.75 + (i ? 3 : 3 + 3) * 1.25),
                     "the maximum's gradient");
            ck_assert(radius(tape_gradient(a->a) + 1) == 0);
            tape_free(t);
        }
        if (i == 0) continue;
        tape *t = tape_new(p, 200); /* a maximum of one's own: two steps of the row's largest radius */
        tape_node *y = tape_offset(t, tape_slack(t, tape_leaf(t, 1, 2, x, false), blur, NULL), minus, true);
        const double want = 0x1p-21 + 0x1p-20 * (3 + 0x1p-21) + 2 * 0x1p-20 * 0x1p-19;
        ck_assert_msg(fabs(radius(y->v + 1) - want) <= 0x1p-44, "%a, expected %a", radius(y->v + 1), want);
        tape_free(t);
    }
}
END_TEST

/* What is stored in few bits: e = us (1 + us) of the value, and 64 e of that for terms of higher order.  And where underflows are large, of them the
 * one by which the first cotangent is off, which is no number of the format, and two for each of the row's two gradients when a maximum is blamed. */
START_TEST(what_is_stored_is_counted_once)
{
    const double x[] = {1, -2}, minus[] = {-1}, g[] = {0.75 + 0x1p-52, 0.5};
    const twin_profile few = {"few", FORMAT(8), FORMAT(53), 0x1p-20, false, NULL};
    const double e = 0x1p-8 * (1 + 0x1p-8);
    tape *t = tape_new(&few, 200);
    const double r = radius(tape_apply(t, TAPE_EXP, number(t, 1))->v), want = exp(1) * e * (1 + 64 * e);
    ck_assert_msg(fabs(r / want - 1) < 1e-6, "%.9e, expected %.9e", r, want);
    tape_free(t);
    twin_profile low = {"low", FORMAT(50), FORMAT(50), 0x1p-20, false, NULL};
    low.storage.underflow = low.arithmetic.underflow = 0x1p-10;
    double of[2];
    for (int maximum = 0; maximum < 2; maximum++) {
        t = tape_new(&low, 200);
        tape_node *a = vague(t, 1, 2, x), *y = tape_offset(t, a, minus, maximum);
        tape_seed(t, y, g);
        tape_backward(t);
        of[maximum] = radius(tape_gradient(a->a));
        tape_free(t);
    }
    ck_assert_msg(fabs((of[1] - of[0]) * 0x1p10 - 5) < 1e-6, "%.9g underflows", (of[1] - of[0]) * 0x1p10);
}
END_TEST

/* The errors of the functions in the forms that the head of tape_apply.c names, in units e of an elementary function and w of an
 * operation: of the value y and of the slope d.  To know them apart, e is 2^-19 w, w, and 2^10 w. */
static double apply_units(tape_function f, double x, double ulp, bool slope)
{
    twin_profile p = {"x", FORMAT(50), FORMAT(50), ulp, false, NULL};
    const double one = 1;
    tape *t = tape_new(&p, 200);
    tape_node *a = number(t, x), *y = tape_apply(t, f, a);
    double r = radius(y->v);
    if (slope) {
        tape_seed(t, y, &one);
        tape_backward(t);
        r = radius(tape_gradient(a));
    }
    tape_free(t);
    return r * 0x1p50;
}

START_TEST(functions_err_as_their_forms_do)
{
    /* at x = 1, by tables: sigmoid, Phi, phi, and tanh */
    const double s = 0.7310585786300049, Phi = 0.8413447460685429, phi = 0.24197072451914337, e1 = 2.718281828459045;
    /* of a rounded argument z = 1/sqrt 2: z erf'(z) = 2 phi(1) = 0.4839; where u' = 0.7979 (1 + 0.1342) = 0.90495 */
    const double za = 0.4852, tb = 0.83358, ta = 0.448, du = 0.90494;
    const struct {
        tape_function f;
        double x, e, w, slope_e, slope_w; /* w of the slope without the product with the cotangent */
    } row[] = {
        {TAPE_EXP, 1, e1, 0, e1, e1},
        {TAPE_EXPM1, 1, e1 - 1, 0, e1 + e1 - 1, e1}, /* exp, or y + 1 */
        {TAPE_LOG, 3, 1.0986122886681098, 0, 0, 2 / 3.0}, /* 1 / x */
        {TAPE_LOG1P, 2, 1.0986122886681098, 0, 0, 2 / 3.0}, /* 1 / (1 + x) */
        {TAPE_TANH, 1, 0.7615941559557649, 0, 2 * 0.5800256583859735 + 0.41997434161402614,
         2 * 0.5800256583859735 + 2 * 0.41997434161402614}, /* 1 - y^2 */
        {TAPE_ERF, 1, 0.8427007929497149, 0, 0.4151074974205947,
         5 * 0.4151074974205947}, /* exp of a square, 2 x^2 of it, and three products */
        {TAPE_ERFC, 1, 0.15729920705028513, 0, 0.4151074974205947, 5 * 0.4151074974205947},
        {TAPE_SIGMOID, 1, s, 2 * s, 2 * s * (1 - s) + s * s, 5 * s * (1 - s) + 2 * s * s}, /* y (1 - y) */
        {TAPE_SOFTPLUS, 1, 2 * 1.3132616875182228, 1.3132616875182228, s,
         3 * s}, /* exp, log1p and a sum; sigmoid, another way */
        {TAPE_SILU, 1, s, 3 * s, 2 * s, 2 * 6 * s}, /* x sigmoid; its slope s + x s (1 - s) */
        {TAPE_GELU, 1, 0.5 + Phi, za + 1 + 3 * Phi, 0.5 + phi, za + 1 + 6 * phi + 2.5 * phi + 2 * (Phi + phi)},
        {TAPE_NORMAL_CDF, 1, 0.5 + Phi, za + 0.5 + 2 * Phi, phi, 8.5 * phi},
        {TAPE_GELU_TANH, 1, 0.5 * tb, 0.5 * tb + 3 * ta + 0.5 + 3 * 0.8411919906082768, 0.5 * tb + du * tb * tb,
         0.5 * (tb + 6 * ta) + 1 + 0.5 * du * (2 * tb * (tb + 6 * ta) + 2) + 6 * (1.0829640838457826 + 1.2)},
        {TAPE_NORMAL_PDF, 1, phi, 5.5 * phi, phi, 6.5 * phi}, /* exp of half a square and products */
        {TAPE_SQRT, 2, 1.4142135623730951, 0, 0.35355339059327373, 3 * 0.35355339059327373}, /* 1 / (2 y) */
        {TAPE_SOFTPLUS20, 1, 2 * 1.3132616875182228, 1.3132616875182228, s, 3 * s},
        {TAPE_SILU, -1, 1 - s, 3 * (1 - s), 2 * (1 - s), 2 * 6 * (1 - s)}, /* (e + 6 w) (1 + |x|) sigmoid */
        {TAPE_GELU, 40, 40, 120, 1, 3}, /* erf and tanh are 1 and nothing else */
        {TAPE_GELU_TANH, 40, 40, 120, 1, 6},
        {TAPE_NORMAL_CDF, 40, 1, 2, 0, 0},
        {TAPE_XLOGX, 2, 1.3862943611198906, 2 * 1.3862943611198906, 3.6931471805599454, 8 * 3.6931471805599454},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        for (int slope = 0; slope < 2; slope++) {
            const double e = slope ? row[i].slope_e : row[i].e, w = slope ? row[i].slope_w : row[i].w;
            const double d0 = apply_units(row[i].f, row[i].x, 0x1p-20, slope),
                         d1 = apply_units(row[i].f, row[i].x, 0x1p9, slope);
            /* of the product with the cotangent, one w of the slope: how much, does the table of values say */
            double last = 0;
            if (slope) {
                const double one = 1;
                tape *t = tape_new(NULL, 128);
                tape_node *a = number(t, row[i].x);
                tape_seed(t, tape_apply(t, row[i].f, a), &one);
                tape_backward(t);
                last = fabs(centre(tape_gradient(a)));
                tape_free(t);
            }
            ck_assert_msg(fabs(d0 - w - last - 0x1p-19 * e) <= 2e-3 * (w + last) + 1e-4 * e + 1e-9,
                          "function %d at %g, %s: %g operations, expected %g", (int)row[i].f, row[i].x,
                          slope ? "slope" : "value", d0 - last, w);
            ck_assert_msg(fabs((d1 - d0) * 0x1p-10 - e) <= 2e-3 * e + 1e-6,
                          "function %d at %g, %s: %g elementary functions, expected %g", (int)row[i].f, row[i].x,
                          slope ? "slope" : "value", (d1 - d0) * 0x1p-10, e);
        }
    for (size_t f = 0; f <= TAPE_XLOGX; f++)
        ck_assert(f == TAPE_SQUARE || apply_units((tape_function)f,
                                                  f == TAPE_XLOGX ? 1
                                                  : f == TAPE_LOG ? 1
                                                                  : 0,
                                                  4, false) >= 0);
    ck_assert(apply_units(TAPE_EXP, 0, 4, false) == 0 && apply_units(TAPE_LOG, 1, 4, false) == 0 &&
              apply_units(TAPE_TANH, 0, 4, false) == 0);
}
END_TEST

/* Where an underflow is much more than a roundoff: how often it counts in the value and in the slope, which is multiplied by the
 * cotangent with another one. */
START_TEST(functions_magnify_underflows)
{
    static const twin_profile p = {"x", {"x", 50, 0x1p-24, 0x1p900}, {"x", 50, 0x1p-24, 0x1p900}, 4, false, NULL};
    static const struct {
        tape_function f;
        double x, value, slope;
    } row[] = {
        {TAPE_EXP, 1, 1, 1},        {TAPE_LOG, 3, 1, 1},     {TAPE_TANH, 1, 1, 1},      {TAPE_ERF, 1, 1, 2.2},
        {TAPE_ERFC, 1, 1, 2.2},     {TAPE_SIGMOID, 1, 1, 1}, {TAPE_SOFTPLUS, 1, 1, 1},  {TAPE_SILU, 1, 4, 8},
        {TAPE_SILU, -3, 8, 16},     {TAPE_GELU, 1, 4, 8},    {TAPE_GELU_TANH, 1, 4, 8}, {TAPE_NORMAL_CDF, 1, 1, 1},
        {TAPE_NORMAL_PDF, 2, 1, 3}, {TAPE_XLOGX, 2, 1, 3},   {TAPE_SQRT, 2, 1, 1},
    };
    const double one = 1;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        tape *t = tape_new(&p, 200);
        tape_node *a = number(t, row[i].x), *y = tape_apply(t, row[i].f, a);
        const double value = radius(y->v) * 0x1p24;
        tape_seed(t, y, &one);
        tape_backward(t);
        const double slope = radius(tape_gradient(a)) * 0x1p24 - 1;
        ck_assert_msg(fabs(value - row[i].value) <= 1e-5 * value, "function %d at %g: %g underflows", (int)row[i].f,
                      row[i].x, value);
        ck_assert_msg(fabs(slope - row[i].slope) <= 1e-5 * slope, "function %d at %g, slope: %g underflows",
                      (int)row[i].f, row[i].x, slope);
        tape_free(t);
    }
}
END_TEST

/* Results far below the normal range: each rounding, and each of a sum, errs by the underflow of the format. */
START_TEST(underflows_are_counted)
{
    const twin_profile p = {"x", {"x", 40, 0x1p-100, 0x1p900}, {"x", 40, 0x1p-101, 0x1p900}, 4, false, NULL};
    const double x[] = {0x1p-70, 0x1p-71, 0x1p-72}, g[] = {0x1p-70, 0x1p-70, 0x1p-70};
    const double S = 0x1p-100, A = 0x1p-101;
    tape *t = tape_new(&p, 300);
    tape_node *a = vague(t, 1, 3, x), *b = vague(t, 3, 1, x), *tiny = vague_number(t, 0x1p-70);
    const double slack = 1e-7;
#define NEAR(r, want)                                                                                                  \
    ck_assert_msg(fabs((r) / (want)-1) <= slack, "%g underflows of the storage, expected %g", (r) / S, (want) / S)
    NEAR(radius(tape_mul(t, tiny, tiny)->v), A + S); /* the storage is coarser: rounded in both */
    NEAR(radius(tape_matmul_nn(t, a, b)->v), 3 * A + S);
    NEAR(radius(tape_apply(t, TAPE_SQUARE, tiny)->v), A + S);
    tape_node *big = number(t, 0x1p-60);
    NEAR(radius(tape_apply(t, TAPE_TANH, tape_mul(t, big, big))->v),
         A + S + S); /* the argument's, and a result that may be flushed */
    tape_free(t);
    const twin_profile q = {"x", {"x", 40, 0x1p-60, 0x1p900}, {"x", 40, 0x1p-61, 0x1p900}, 4, false, NULL};
    t = tape_new(&q, 300);
    a = vague(t, 3, 1, x); /* all below 2^-60 by far: sums too, where a partial one may be flushed */
    const double AQ = 0x1p-61, SQ = 0x1p-60;
#define AROUND(r, want)                                                                                                \
    ck_assert_msg(fabs((r) / (want)-1) <= slack, "%g underflows of the storage, expected %g", (r) / SQ, (want) / SQ)
    AROUND(radius(tape_sum(t, a, TAPE_ALL)->v), 3 * SQ + 2 * AQ + SQ); /* each is read with one */
    AROUND(radius(tape_sum_groups(t, a, 3)->v), 3 * SQ + 2 * (AQ + SQ));
    tiny = number(t, 1);
    tape_seed(t, tape_add(t, tape_add(t, tiny, tiny), tiny), g);
    tape_backward(t);
    AROUND(radius(tape_gradient(tiny)), 3 * SQ + 2 * (AQ + SQ)); /* the cotangent three times, and two sums */
    tape_free(t);
}
END_TEST

/* At the largest number of the format there is a bound, and beyond it none. */
START_TEST(overflows_are_unknown)
{
    const twin_profile p = {"x", {"x", 40, 0x1p-900, 64}, {"x", 40, 0x1p-900, 64}, 4, false, NULL};
    const twin_profile narrow = {"x", {"x", 40, 0x1p-900, 64}, {"x", 40, 0x1p-900, 0x1p900}, 4, false, NULL};
    for (int i = 0; i < 2; i++) {
        const twin_profile *q = i ? &narrow : &p;
        for (int over = 0; over < 2; over++) {
            const double k = over ? 0x1p-4 : -0x1p-4, big[] = {32 + k, 32 + k}, root[] = {8 + k, 1}, two[] = {1, 1},
                         g[] = {32 + k};
            tape *t = tape_new(q, 200);
            tape_node *a = vague(t, 1, 2, big), *r = vague(t, 1, 1, root), *ones = vague(t, 2, 1, two);
            ck_assert(isfinite(radius(tape_add(t, a, a)->v)) == !over);
            ck_assert(isfinite(radius(tape_mul(t, r, r)->v)) == !over);
            ck_assert(isfinite(radius(tape_matmul_nn(t, a, ones)->v)) == !over);
            ck_assert(isfinite(radius(tape_sum(t, a, TAPE_ALL)->v)) == !over);
            ck_assert(isfinite(radius(tape_sum_groups(t, vague(t, 2, 1, big), 2)->v)) == !over);
            ck_assert(isfinite(radius(tape_apply(t, TAPE_SQUARE, r)->v)) == !over);
            const double z = over ? 4.17 : 4.15; /* log 64 = 4.1589 */
            ck_assert(isfinite(radius(tape_apply(t, TAPE_EXP, vague_number(t, z))->v)) == !over);
            /* a mean may be divided before it is stored: in an arithmetic of more range it is there */
            ck_assert(isfinite(radius(tape_mean(t, a, TAPE_ALL, 2)->v)) == (!over || i == 1));
            tape_node *x = number(t, 1);
            tape_seed(t, tape_add(t, x, x), g);
            tape_backward(t);
            ck_assert(isfinite(mag_get_d(arb_radref(tape_gradient(x)))) == !over);
            tape_free(t);
        }
    }
}
END_TEST

/* What is planned in two profiles has the coarsest of each roundoff, whichever came first. */
START_TEST(two_plans_for_a_node_are_the_coarsest_of_both)
{
    const twin_profile a = {"a", {"x", 30, 0x1p-100, 64}, {"x", 40, 0x1p-200, 0x1p900}, 8, false, NULL};
    const twin_profile b = {"b", {"x", 20, 0x1p-300, 0x1p900}, {"x", 50, 0x1p-400, 0x1p900}, 4, false, NULL};
    const twin_profile both = {"c", {"x", 20, 0x1p-100, 64}, {"x", 40, 0x1p-200, 0x1p900}, 8, false, NULL};
    const double x[] = {1.5, 0x1p-60, 2.75, 0.875};
    for (int order = 0; order < 3; order++) {
        double r[3][2];
        tape_plan *plan = NULL;
        for (int again = 0; again < 2; again++) {
            tape *t = tape_new(again && order == 2 ? &both : &a, 200);
            if (plan) tape_follow(t, plan);
            tape_node *n = vague(t, 1, 4, x), *e = tape_apply(t, TAPE_EXP, n), *y = tape_mul(t, e, e),
                      *z = tape_mul(t, n, n);
            r[0][again] = radius(y->v);
            r[1][again] = radius(z->v + 1);
            r[2][again] = radius(y->v + 2); /* e^5.5 is 244: more than 64 */
            if (!again && order < 2) {
                plan = tape_plan_new(t);
                for (int k = 0; k < 2; k++) {
                    tape_plan_add(plan, y, (order == 0) == (k == 0) ? &a : &b);
                    tape_plan_add(plan, z, (order == 0) == (k == 0) ? &a : &b);
                }
            }
            if (again && plan) ck_assert(tape_plan_fits(plan, t));
            tape_free(t);
        }
        tape_plan_free(plan);
        static double want[3];
        for (int k = 0; k < 3; k++) {
            if (order == 0) want[k] = r[k][1];
            ck_assert_msg(want[k] == r[k][1], "%d: %g, %g", k, want[k], r[k][1]);
        }
        ck_assert(isinf(want[2]) && want[0] > 0x1p-20 * 4.48);
    }
}
END_TEST

static tape_node *made_of(tape *t, int way, tape_node *e, tape_node *f)
{
    tape_node *const both[] = {e, f};
    const size_t second[] = {1};
    tape_node *rows = tape_concat_rows(t, 2, both);
    return way == 0   ? tape_mul(t, e, f)
           : way == 1 ? rows
           : way == 2 ? tape_concat_cols(t, 2, both)
           : way == 3 ? tape_view(t, rows, 1, 1, 1)
           : way == 4 ? tape_gather_rows(t, rows, 1, second)
                      : tape_sum(t, tape_add(t, e, f), TAPE_ALL);
}

/* A plan for a node, named or not, holds for all that it is made of up to the next nodes that are named, and for nothing else. */
START_TEST(a_plan_reaches_the_next_names)
{
    for (int way = 0; way < 6; way++)
        for (int names = 0; names < 2; names++) {
            tape_plan *plan = NULL;
            for (int again = 0; again < 2; again++) {
                tape *t = tape_new(&fine, 200);
                if (again) tape_follow(t, plan);
                tape_node *other = tape_apply(t, TAPE_EXP, vague_number(t, 1.25)),
                          *before = tape_apply(t, TAPE_EXP, vague_number(t, 0.5)), *e = tape_apply(t, TAPE_EXP, before),
                          *f = tape_apply(t, TAPE_EXP, vague_number(t, 1.5)), *y = made_of(t, way, e, f);
                if (!again) {
                    plan = tape_plan_new(t);
                    y->named = y->base->named = true;
                    before->named = names;
                    tape_plan_add(plan, y, &coarse);
                } else {
                    const double one = exp(0.5), two = exp(one);
                    ck_assert_msg(radius(other->v) < 0x1p-40, "way %d: this is no part of it", way);
                    is_units(radius(f->v), &coarse, exp(1.5), "a part");
                    if (names)
                        ck_assert_msg(radius(before->v) < 0x1p-40, "way %d: a plan goes beyond a name", way);
                    else
                        is_units(radius(before->v), &coarse, one, "what a part is made of");
                    is_units(radius(e->v), &coarse, names ? two : two * (1 + one), "a part");
                }
                tape_free(t);
            }
            tape_plan_free(plan);
        }
}
END_TEST

/* In a format of few digits second orders show: u = 2^-8, and 64 roundings make n u / (1 - n u) = 1/3 of the magnitudes. */
static void is_near(double got, double want, const char *what)
{
    ck_assert_msg(fabs(got - want) <= 1e-7 * want, "%s: a bound of %.12g, by hand %.12g", what, got, want);
}

START_TEST(many_roundings_in_few_digits)
{
    static const twin_profile crude = {"crude", FORMAT(8), FORMAT(8), 0x1p-20, false, NULL};
    static const twin_profile stored = {"stored", FORMAT(8), FORMAT(12), 0x1p-20, false, NULL};
    const double u = 0x1p-8, v = 0x1p-12;
    double x[66], tiny[66];
    for (size_t e = 0; e < 66; e++) {
        x[e] = 1.5;
        tiny[e] = 0x1p-200; /* not known to be exact */
    }
    tape *t = tape_new(&crude, 200);
    tape_node *a = tape_slack(t, tape_leaf(t, 66, 1, x, false), tiny, NULL), *b = tape_view(t, a, 0, 1, 64);
    is_near(radius(tape_sum(t, tape_view(t, a, 0, 65, 1), TAPE_ALL)->v), 65 * 1.5 / 3, "a sum of 65");
    is_near(radius(tape_sum_groups(t, a, 66)->v), u * (99 + 64 / 0.75 * 99), "66 stored one after the other");
    is_near(radius(tape_matmul_nt(t, b, tape_view(t, a, 1, 1, 64))->v), 64 * 2.25 / 3, "a product of 64");
    const double length = sqrt(63 * 2.25), grown = (0.5 * (1 / 3.0 + 2 * u) + 2 * u) * (1 + 8 * u) * length;
    is_near(radius(tape_norm(t, tape_view(t, a, 0, 1, 63))->v), grown + u * (length + grown), "a length of 63");
    double far[120], near_nothing[120];
    for (size_t e = 0; e < 120; e++) {
        far[e] = e < 60 ? 0 : 0.5;
        near_nothing[e] = 0x1p-200;
    }
    tape_node *two = tape_slack(t, tape_leaf(t, 2, 60, far, false), near_nothing, NULL),
              *apart_by = tape_distances(t, two);
    /* |x - y|^2 = 15 by differences; or by |x|^2 + |y|^2 - 2 <x, y>, which errs by (|x| + |y|)^2, of rows as they are, 0 and
     * sqrt(15) long, or centred, each of half that: the longer of the two for either row. */
    is_near(radius(apart_by->v + 1), (4 * u + 1 / 3.0) * 15 + 2 / 3.0 * 1.5 * 1.5 * 15, "a distance in 60 dimensions");
    tape_free(t);
    t = tape_new(&stored, 200);
    a = tape_slack(t, tape_leaf(t, 2, 1, x, false), tiny, NULL);
    const double w = (u + v) * (1 + u), once = v + u * (1 + v);
    is_near(radius(tape_mul(t, tape_view(t, a, 0, 1, 1), tape_view(t, a, 1, 1, 1))->v), 2.25 * once,
            "a product, stored");
    is_near(radius(tape_scale(t, tape_view(t, a, 0, 1, 1), 1 + 0x1p-10)->v), 1.5 * (1 + 0x1p-10) * (w + (1 + w) * once),
            "a product with a rounded number, stored");
    is_near(radius(tape_sum_groups(t, a, 2)->v), 3 * w, "a sum of two, stored");
    tape_free(t);
}
END_TEST

/* --- where nothing is rounded the bound is 0 --------------------------------------------------------------------- */

static tape_node *integer_product(tape *t, double scale, size_t k)
{
    double a[2 * MOST], b[2 * MOST];
    state = 6;
    for (size_t i = 0; i < 2 * k; i++) {
        a[i] = scale * ((double)below(9) - 4);
        b[i] = (double)below(9) - 4;
    }
    return tape_matmul_nt(t, tape_leaf(t, 2, k, a, false), tape_leaf(t, 2, k, b, false));
}

START_TEST(integers_and_powers_of_two_have_bound_0)
{
    for (const twin_profile *p = twin_profiles; p->name; p++) {
        tape *t = tape_new(p, 96);
        tape_node *y = integer_product(t, 0.25, 5); /* |sums| <= 80/4, multiples of 1/4: 7 bits */
        for (size_t i = 0; i < 4; i++) ck_assert_msg(radius(y->v + i) == 0, "%s: a sum of small integers", p->name);
        tape_free(t);
    }
}
END_TEST

START_TEST(what_does_not_fit_has_a_bound)
{
    const struct {
        const char *profile;
        double x, y;
        bool exact;
    } sums[] = {
        {"f64", 1, 0x1p-52, true},  {"f64", 1, 0x1p-53, false},   {"f32", 1, 0x1p-23, true},
        {"f32", 1, 0x1p-24, false}, {"bf16", 1, 0x1p-7, true},    {"bf16", 1, 0x1p-8, false},
        {"tf32", 1, 0x1p-10, true}, {"tf32", 1, 0x1p-11, false},  {"f16", 1, 0x1p-10, true},
        {"f16", 1, 0x1p-11, false}, {"f16", 32768, 32752, false}, {"f16", 32768, 32736, true},
    };
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        tape *t = tape_new(twin_profile_find(sums[i].profile), 96);
        tape_node *s = tape_add(t, tape_leaf(t, 1, 1, &sums[i].x, false), tape_leaf(t, 1, 1, &sums[i].y, false));
        ck_assert_msg((radius(s->v) == 0) == sums[i].exact, "%s: %a + %a, radius %g", sums[i].profile, sums[i].x,
                      sums[i].y, radius(s->v));
        tape_free(t);
    }
}
END_TEST

/* The sum is exact in the order written, 2^24 + 1 - 2^24 - 1 + ..., but not in every order. */
START_TEST(exactness_holds_for_every_order)
{
    const double x[] = {1, -1, 0x1p24, -0x1p24, 0}, y[] = {1, -1, 0x1p20, -0x1p20, 0};
    tape *t = tape_new(twin_profile_find("f32"), 96);
    ck_assert(radius(tape_sum(t, tape_leaf(t, 1, 5, x, false), TAPE_ALL)->v) > 0);
    ck_assert(radius(tape_sum(t, tape_leaf(t, 1, 5, y, false), TAPE_ALL)->v) == 0);
    tape_free(t);
}
END_TEST

/* 1 + 2u - 1 is exact, though of two such numbers not every order would be; 1 + 2u + 1 is 2 + 2u, which has a digit too many for
 * the coarser of the two formats, be it what is computed in or what is stored. */
START_TEST(two_terms_are_exact_where_their_sum_is)
{
    const twin_profile turned = {"turned", FORMAT(53), FORMAT(20), 0x1p-20, false, NULL};
    const twin_profile *const all[] = {&fine, &coarse, &turned};
    for (size_t i = 0; i < 3; i++) {
        const double u = i == 0 ? 0x1p-40 : 0x1p-20, x[][3] = {{1 + 2 * u, -1, 2 * u}, {1 + 2 * u, 1, 0}};
        for (size_t k = 0; k < 2; k++) {
            tape *t = tape_new(all[i], 200);
            tape_node *col = tape_leaf(t, 2, 1, x[k], true), *a = number(t, x[k][0]), *b = number(t, x[k][1]);
            const tape_node *const y[] = {tape_add(t, a, b), tape_sum(t, col, TAPE_ALL), tape_sum_groups(t, col, 2)};
            for (size_t way = 0; way < 3; way++) {
                const double want = way == 1 && i != 1 ? 2 : 2 * (double)k; /* a sum has orders */
                ck_assert(centre(y[way]->v) == x[k][0] + x[k][1]);
                ck_assert_msg(fabs(radius(y[way]->v) - want * u) <= 0x1p-9 * want * u, "%s, %zu, %zu: %.9g units",
                              all[i]->name, k, way, radius(y[way]->v) / u);
            }
            if (k == 0) { /* of three terms not every order is */
                const double r = radius(tape_sum_groups(t, tape_leaf(t, 3, 1, x[k], true), 3)->v);
                ck_assert_msg(fabs(r - 2 * u) <= 0x1p-9 * 2 * u, "%s: %.9g units", all[i]->name, r / u);
            }
            tape_free(t);
        }
    }
}
END_TEST

/* The radius of the gradient of w and of b where `parts` blocks of the rows x share them. */
static void radius_of_shared(size_t parts, bool together, double r[2])
{
    enum { ROWS = 24 };
    double x[ROWS], ones[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        x[i] = 1 + 0x1p-20 * (double)(i * i);
        ones[i] = 1 + 0x1p-21;
    }
    const double start[] = {0.75};
    tape *t = tape_new(twin_profile_find("f32"), 96);
    tape_node *w = tape_leaf(t, 1, 1, start, true), *b = tape_leaf(t, 1, 1, start, true);
    tape_together(t, together ? ROWS : 0);
    for (size_t p = 0; p < parts; p++) {
        tape_node *rows = tape_leaf(t, ROWS / parts, 1, x + p * (ROWS / parts), false);
        tape_seed(t, tape_add(t, tape_matmul_nt(t, rows, w), b), ones);
    }
    tape_backward(t);
    r[0] = mag_get_d(arb_radref(tape_gradient(w)));
    r[1] = mag_get_d(arb_radref(tape_gradient(b)));
    tape_free(t);
}

/* An expert that is run once for each choice, and one that is run once for all, add up the same terms. */
START_TEST(a_shared_operand_admits_one_sum)
{
    double whole[2], halves[2], apart[2];
    radius_of_shared(1, false, whole);
    radius_of_shared(2, true, halves);
    radius_of_shared(2, false, apart);
    for (int i = 0; i < 2; i++) {
        ck_assert_msg(halves[i] >= whole[i], "a sum over all rows is not admitted: %g < %g", halves[i], whole[i]);
        ck_assert_msg(apart[i] < whole[i], "the test cannot fail: %g, %g", apart[i], whole[i]);
    }
}
END_TEST

/* g a + g^T a with exact products: each of the two sums has exact partial sums in binary32, one sum of both has not. */
START_TEST(a_product_with_itself_admits_one_sum)
{
    const double x[] = {0x1.800002p23}, g[] = {1};
    tape *t = tape_new(twin_profile_find("f32"), 96);
    tape_node *a = tape_leaf(t, 1, 1, x, true), *b = tape_leaf(t, 1, 1, x, true);
    tape_seed(t, tape_matmul_nt(t, a, a), g);
    tape_seed(t, tape_matmul_nt(t, a, b), g);
    tape_backward(t);
    ck_assert(radius(tape_gradient(b)) == 0);
    ck_assert_msg(radius(tape_gradient(a)) > 0, "twice 3 * 2^22 + 1 has a bit more than that");
    tape_free(t);
}
END_TEST

START_TEST(division_by_a_count_is_exact_for_powers_of_two)
{
    const double x[] = {3, 6, 3, 6};
    const size_t three[] = {3};
    tape *t = tape_new(twin_profile_find("f32"), 96);
    tape_node *a = tape_leaf(t, 1, 4, x, false);
    ck_assert_msg(radius(tape_mean(t, a, TAPE_ALL, 4)->v) == 0, "18/4");
    ck_assert_msg(radius(tape_mean(t, a, TAPE_ALL, 3)->v) > 0, "18/3 may come from 18 times a rounded 1/3");
    ck_assert_msg(radius(tape_ratio(t, 1, 1, three, 4)->v) == 0, "3/4");
    ck_assert_msg(radius(tape_ratio(t, 1, 1, three, 6)->v) > 0, "3/6");
    tape_free(t);
}
END_TEST

START_TEST(inputs_are_read_in_the_candidate_s_format)
{
    const double x[] = {1.5, 1 + 0x1p-20};
    tape *t = tape_new(twin_profile_find("bf16"), 96);
    tape_node *a = tape_leaf(t, 1, 2, x, false);
    ck_assert(radius(a->v) == 0);
    ck_assert(radius(a->v + 1) >= 0x1p-20 && radius(a->v + 1) < 0x1p-7);
    tape_free(t);
}
END_TEST

/* --- kinks, overflow --------------------------------------------------------------------------------------------- */

START_TEST(a_kink_within_the_bound_is_a_ball)
{
    const double x[] = {0x1p-30, 1, 0}, one[] = {1, 1, 1}, blur[] = {1e-6, 1e-6, 0};
    tape *t = tape_new(twin_profile_find("f32"), 96);
    tape_node *a = tape_leaf(t, 1, 3, x, true), *y = tape_apply(t, TAPE_RELU, tape_slack(t, a, blur, NULL));
    tape_seed(t, y, one);
    tape_backward(t);
    arb_srcptr g = tape_gradient(a);
    ck_assert_msg(arb_contains_si(g, 0) && arb_contains_si(g, 1),
                  "0 and 1 are both possible where the sign is not known");
    ck_assert(arb_is_one(g + 1));
    ck_assert_msg(arb_is_zero(g + 2), "the slope at an exact 0 is 0");
    ck_assert(arb_is_nonnegative(y->v) || arb_contains_si(y->v, 0));
    tape_free(t);
}
END_TEST

/* 2 and 2 + 1e-8, blurred by 1e-6: either may be the largest; 1 is not.  Exactly, the first of two equals is. */
/* 5.5 +- 0.5 has the larger middle, but 5 +- 2 may be 7: wherever they stand, the largest is between 5 and 7. */
START_TEST(the_largest_may_be_a_wide_one)
{
    for (size_t k = 0; k < 3; k++) {
        double x[3] = {0, 0, 0}, wide[3] = {0, 0, 0};
        x[k] = 5;
        wide[k] = 2;
        x[(k + 1) % 3] = 5.5;
        wide[(k + 1) % 3] = 0.5;
        tape *t = tape_new(&fine, 200);
        tape_node *y = tape_max(t, tape_slack(t, tape_leaf(t, 1, 3, x, false), wide, NULL));
        ck_assert_msg(fabs(centre(y->v) - 6) < 1e-6 && fabs(radius(y->v) - 1) < 1e-6, "place %zu: %g +- %g", k,
                      centre(y->v), radius(y->v));
        tape_free(t);
    }
}
END_TEST

START_TEST(the_largest_may_be_in_doubt)
{
    const double x[] = {2, 2 + 0x1p-27, 1}, equal[] = {1, 2, 2}, one = 1, blur[] = {1e-6, 1e-6, 1e-6};
    tape *t = tape_new(twin_profile_find("f64"), 96);
    tape_node *a = tape_leaf(t, 1, 3, x, true), *y = tape_max(t, tape_slack(t, a, blur, NULL));
    tape_seed(t, y, &one);
    tape_backward(t);
    arb_srcptr g = tape_gradient(a);
    for (size_t i = 0; i < 2; i++)
        ck_assert_msg(arb_contains_si(g + i, 0) && arb_contains_si(g + i, 1), "each of the two may be it");
    ck_assert(arb_is_zero(g + 2));
    ck_assert(radius(y->v) >= 1e-6 && radius(y->v) <= 1.1e-6);
    tape_free(t);
    t = tape_new(NULL, 96);
    a = tape_leaf(t, 1, 3, equal, true);
    y = tape_max(t, a);
    tape_seed(t, y, &one);
    tape_backward(t);
    g = tape_gradient(a);
    ck_assert(centre(y->v) == 2 && arb_is_zero(g) && arb_is_one(g + 1) && arb_is_zero(g + 2));
    tape_free(t);
    /* two rows, each in doubt: halves of their own cotangents, more or less */
    const double rows[] = {1, 1, 3, 3}, each[] = {1, 4}, vague4[] = {1e-6, 1e-6, 1e-6, 1e-6};
    t = tape_new(twin_profile_find("f64"), 96);
    a = tape_leaf(t, 2, 2, rows, true);
    tape_seed(t, tape_max(t, tape_slack(t, a, vague4, NULL)), each);
    tape_backward(t);
    g = tape_gradient(a);
    for (size_t e = 0; e < 4; e++)
        ck_assert(centre(g + e) == each[e / 2] / 2 && fabs(radius(g + e) - each[e / 2] / 2) < 1e-8);
    tape_free(t);
}
END_TEST

/* 1, 2, 2 + 1e-8, 3, blurred by 1e-6: either of the middle ones may be the second.  Exactly, it is the one it is. */
START_TEST(the_element_of_a_rank_may_be_in_doubt)
{
    const double x[] = {3, 2, 2 + 0x1p-27, 1}, one = 1, blur[] = {1e-6, 1e-6, 1e-6, 1e-6};
    tape *t = tape_new(twin_profile_find("f64"), 96);
    tape_node *a = tape_leaf(t, 2, 2, x, true), *y = tape_kth(t, tape_slack(t, a, blur, NULL), 1);
    tape_seed(t, y, &one);
    tape_backward(t);
    arb_srcptr g = tape_gradient(a);
    for (size_t i = 1; i < 3; i++)
        ck_assert_msg(arb_contains_si(g + i, 0) && arb_contains_si(g + i, 1), "each of the two may be it");
    ck_assert(arb_is_zero(g) && arb_is_zero(g + 3));
    ck_assert(arb_contains_si(y->v, 2) && radius(y->v) >= 1e-6 && radius(y->v) <= 1.1e-6);
    tape_free(t);
    for (size_t k = 0; k < 4; k++) {
        static const size_t order[] = {3, 1, 2, 0};
        t = tape_new(NULL, 96);
        a = tape_leaf(t, 2, 2, x, true);
        y = tape_kth(t, a, k);
        tape_seed(t, y, &one);
        tape_backward(t);
        for (size_t i = 0; i < 4; i++) ck_assert(centre(tape_gradient(a) + i) == (i == order[k]));
        ck_assert(centre(y->v) == x[order[k]]);
        tape_free(t);
    }
}
END_TEST

/* The radius of 2 a's gradient by the route itself, and by others whose gradients are off by so much. */
static double doubt_beside(size_t others, const double *off, double *middle)
{
    const double x = 0.75, one = 1;
    tape *t = tape_new(twin_profile_find("f32"), 96);
    tape_node *a = tape_leaf(t, 1, 1, &x, true), *y = tape_add(t, a, a);
    for (size_t i = 0; i < others; i++) {
        tape_node *b = tape_aside(t, a), *doubled = tape_add(t, b, b);
        y = tape_either(t, y, tape_slack(t, doubled, off + i, off + i));
    }
    ck_assert(arb_contains_si(y->v, 1) == (others > 0) && centre(y->v) == 1.5);
    tape_seed(t, y, &one);
    tape_backward(t);
    *middle = centre(tape_gradient(a));
    const double r = radius(tape_gradient(a));
    tape_free(t);
    return r;
}

START_TEST(of_other_routes_the_worst_counts)
{
    const double off[] = {0.125, 0.5, 0.25};
    double middle;
    ck_assert(doubt_beside(0, off, &middle) == 0 && middle == 2);
    const double r = doubt_beside(3, off, &middle);
    ck_assert_msg(middle == 2 && r >= 1 && r < 1.6, "2 +- 1, and the square of a wide ball's radius: %g +- %g", middle,
                  r);
}
END_TEST

/* (2a - a) + (2b - b), with a gradient of 1 +- 1/2: each term is in doubt, but all in the same way. */
static void doubts_are(bool closed, double least, double most)
{
    const double x = 0.75, one = 1, half = 0.5;
    tape *t = tape_new(twin_profile_find("f32"), 96);
    tape_node *leaf[2], *of[2], *part[2];
    for (size_t i = 0; i < 2; i++) {
        leaf[i] = tape_leaf(t, 1, 1, &x, true);
        of[i] = closed ? tape_open(t, leaf[i]) : leaf[i];
        part[i] = tape_sub(t, tape_scale(t, of[i], 2), tape_scale(t, of[i], 1));
    }
    tape_node *y = tape_add(t, part[0], part[1]);
    if (closed) y = tape_close(t, y, 2, of);
    tape_seed(t, tape_slack(t, y, NULL, &half), &one);
    tape_backward(t);
    for (size_t i = 0; i < 2; i++) {
        const double doubt = radius(tape_gradient(leaf[i]));
        ck_assert(arb_contains_si(tape_gradient(leaf[i]), 1));
        ck_assert_msg(doubt >= least && doubt <= most, "of number %zu: %g", i, doubt);
    }
    tape_free(t);
}

START_TEST(a_common_factor_is_one_doubt)
{
    doubts_are(false, 1.5, INFINITY);
    doubts_are(true, 0.5, 0.6);
}
END_TEST

START_TEST(x_log_x_is_0_at_0_and_known_near_it)
{
    const double x[] = {0, 1e-300, 0.5}, one[] = {1, 1, 1}, blur[] = {1e-10, 1e-10, 0.7};
    tape *t = tape_new(NULL, 96);
    tape_node *a = tape_leaf(t, 1, 3, x, true), *y = tape_apply(t, TAPE_XLOGX, a);
    tape_node *z = tape_apply(t, TAPE_XLOGX, tape_slack(t, a, blur, NULL));
    ck_assert(arb_is_zero(y->v));
    ck_assert_double_eq_tol(centre(y->v + 1), -1e-300 * 690.7755278982137, 1e-310);
    ck_assert_msg(radius(z->v) >= 1e-10 * 23.02 && radius(z->v) <= 1e-10 * 23.1, "1e-10 log 1e-10");
    ck_assert_msg(isinf(radius(z->v + 2)), "an argument that may be negative by much");
    tape_seed(t, z, one);
    tape_backward(t);
    ck_assert_msg(radius(tape_gradient(a)) >= 745 && isfinite(radius(tape_gradient(a))), "the slope is finite");
    tape_free(t);
}
END_TEST

START_TEST(beyond_the_largest_nothing_is_known)
{
    const double x[] = {300, 2};
    tape *t = tape_new(twin_profile_find("f16"), 96);
    tape_node *y = tape_apply(t, TAPE_SQUARE, tape_leaf(t, 1, 2, x, false));
    ck_assert_msg(isinf(radius(y->v)), "300^2 > 65504");
    ck_assert(radius(y->v + 1) == 0);
    tape_free(t);
    t = tape_new(twin_profile_find("f32"), 96);
    ck_assert(isinf(radius(tape_apply(t, TAPE_EXP, tape_leaf(t, 1, 1, x, false))->v)));
    tape_free(t);
}
END_TEST

START_TEST(functions_reach_far_out)
{
    static const struct {
        tape_function f;
        double x, y;
    } far[] = {
        {TAPE_SIGMOID, 1e300, 1},    {TAPE_SIGMOID, -1e300, 0},  {TAPE_SOFTPLUS, 1e300, 1e300},
        {TAPE_SOFTPLUS, -1e300, 0},  {TAPE_SILU, -1e300, 0},     {TAPE_TANH, 1e300, 1},
        {TAPE_ERF, -1e300, -1},      {TAPE_GELU, 1e300, 1e300},  {TAPE_GELU, -1e100, 0},
        {TAPE_NORMAL_PDF, 1e100, 0}, {TAPE_GELU_TANH, -1e50, 0},
    };
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        const double one = 1;
        tape *t = tape_new(NULL, 128);
        tape_node *x = tape_leaf(t, 1, 1, &far[i].x, true), *y = tape_apply(t, far[i].f, x);
        tape_seed(t, y, &one);
        tape_backward(t);
        ck_assert_msg(fabs(centre(y->v) - far[i].y) <= 1e-30 * fabs(far[i].y) + 1e-300 &&
                          radius(y->v) <= 1e-30 * fabs(far[i].y) + 1e-300,
                      "function %d at %g: %g, radius %g", (int)far[i].f, far[i].x, centre(y->v), radius(y->v));
        arb_srcptr g = tape_gradient(x);
        ck_assert_msg(!g || arb_is_finite(g), "function %d at %g: the slope is not known", (int)far[i].f, far[i].x);
        tape_free(t);
    }
}
END_TEST

/* --- twin_run ---------------------------------------------------------------------------------------------------- */

static op_case *c;
static twin_result r;
static char err[512];

static size_t tensor(const op_tensor *list, const char *name)
{
    size_t i = 0;
    while (list[i].name && strcmp(list[i].name, name) != 0) i++;
    ck_assert_msg(list[i].name != NULL, "no tensor '%s'", name);
    return i;
}

static void run(const char *profile, const char *variant)
{
    const twin_profile *p = profile ? twin_profile_find(profile) : NULL;
    ck_assert_msg(twin_run(c, p, variant, 160, &r, err, sizeof err) == 0, "%s", err);
}

/* The K largest of each row of the twin's own scores, for every decision of the case. */
static void decide(void)
{
    for (size_t i = 0; c->op->out[i].name; i++) {
        if (c->op->out[i].kind != OP_DECISION) continue;
        const op_value *v = &c->out[i];
        const size_t rows = v->dim[0], K = v->dim[1];
        for (size_t e = 0; e < rows * K; e++) v->i64[e] = 0;
        run(NULL, NULL);
        const size_t n = rows ? r.score[i].count / rows : 0;
        for (size_t t = 0; t < rows; t++)
            for (size_t j = 0; j < K; j++) {
                const double *s = r.score[i].hi + t * n;
                int64_t best = -1;
                for (size_t e = 0; e < n; e++) {
                    bool taken = false;
                    for (size_t k = 0; k < j; k++) taken |= v->i64[t * K + k] == (int64_t)e;
                    if (!taken && (best < 0 || s[e] > s[best])) best = (int64_t)e;
                }
                v->i64[t * K + j] = best;
            }
        twin_result_clear(&r);
    }
}

static int64_t size(char letter, int64_t otherwise)
{
    for (size_t i = 0; i < c->dims; i++)
        if (c->dim_name[i] == letter) return (int64_t)c->dim_size[i];
    return otherwise;
}

/* Indices: rows of distinct experts, in another order for each token; places -1, 0, 1 ... of a buffer. */
static void fill_integers(void)
{
    for (size_t i = 0; c->op->in[i].name; i++) {
        const op_value *v = &c->in[i];
        const int64_t experts = size('N', 4), places = size('C', 4), tokens = size('V', experts);
        const size_t K = v->rank > 1 ? v->dim[1] : 1;
        for (size_t e = 0; v->i64 && e < v->count; e++) {
            const int64_t t = (int64_t)(e / K), j = (int64_t)(e % K);
            if (strcmp(c->op->in[i].name, "selected") == 0)
                v->i64[e] = t < j && (t > 0 || j < 2 || experts < 4);
            else if (strcmp(c->op->in[i].name, "slot") == 0)
                v->i64[e] = (int64_t)e % (places + 1) - 1;
            else
                v->i64[e] =
                    strcmp(c->op->in[i].name, "token") == 0 ? t % tokens : (t + (i > 0 ? t / 2 : 0) + j) % experts;
        }
    }
}

static void make(const char *op, const char *dims, const char *set)
{
    const op_record *record = op_find(op);
    ck_assert_msg(record != NULL, "no operation %s", op);
    c = op_case_new(record, dims, set, err, sizeof err);
    ck_assert_msg(c != NULL, "%s", err);
    op_rng *g = op_rng_new(7, op);
    op_fill_default(c, g);
    fill_integers();
    for (size_t i = 0; record->in[i].name; i++) /* variances are above 0 */
        for (size_t e = 0; strstr(record->in[i].name, "nu") && e < c->in[i].count; e++)
            c->in[i].f64[e] = fabs(c->in[i].f64[e]) + 0.5;
    for (size_t i = 0; record->out[i].name; i++)
        if (c->cot[i].f64) op_fill_normal(g, 1, c->cot[i].count, c->cot[i].f64);
    op_rng_free(g);
    decide();
}

static void done(void)
{
    twin_result_clear(&r);
    op_case_free(c);
}

static double out(const char *name, size_t e) { return r.out[tensor(c->op->out, name)].hi[e]; }
static double grad(const char *name, size_t e) { return r.grad[tensor(c->op->in, name)].hi[e]; }

static void set(const op_value *v, size_t n, const double *x)
{
    ck_assert_uint_eq(v->count, n);
    memcpy(v->f64, x, n * sizeof *x);
}

START_TEST(profiles_are_found)
{
    static const struct {
        const char *name;
        int storage, arithmetic;
    } known[] = {{"f64", 53, 53}, {"f32", 24, 24}, {"tf32", 11, 24}, {"bf16", 8, 24}, {"f16", 11, 24}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const twin_profile *p = twin_profile_find(known[i].name);
        ck_assert_ptr_nonnull(p);
        ck_assert(p == &twin_profiles[i]);
        ck_assert_int_eq(p->storage.digits, known[i].storage);
        ck_assert_int_eq(p->arithmetic.digits, known[i].arithmetic);
    }
    ck_assert(twin_profile_find("f16")->storage.largest == 65504);
    ck_assert_ptr_null(twin_profile_find("fp8"));
    ck_assert_ptr_null(twin_profile_find(""));
}
END_TEST

/* x y in one format, stored in another that has as many digits or more, but not its range. */
START_TEST(a_storage_of_less_range_counts)
{
    twin_profile p = *twin_profile_find("f16");
    const double x = 300;
    p.arithmetic = twin_profile_find("bf16")->storage;
    for (int i = 0; i < 2; i++) {
        tape *t = tape_new(&p, 96);
        tape_node *product = tape_mul(t, tape_leaf(t, 1, 1, &x, false), tape_fill(t, 1, 1, i ? 0x1p-30 : 256));
        const double radius = mag_get_d(arb_radref(product->v));
        ck_assert_msg(i ? radius >= 0x1p-25 : isinf(radius), "%d: radius %g", i, radius);
        tape_free(t);
    }
}
END_TEST

static double largest_radius(const twin_tensor *w)
{
    double most = 0;
    for (size_t e = 0; e < w->count; e++) most = fmax(most, w->rad[e]);
    return most;
}

static bool with_r; /* the router's logits too */

/* What a profile with one tensor of its own gives: the largest radii of weight, y, and the gradients of x and wr. */
static void radii_with(const char *precision, const char *name, const char *of, double radius[4])
{
    twin_profile p = *twin_profile_find(precision), own[3] = {p, {.name = NULL}, {.name = NULL}};
    if (of) {
        own[0] = own[1] = *twin_profile_find(of);
        own[0].name = name;
        own[1].name = with_r ? "r" : NULL;
        p.tensor = own;
    }
    ck_assert_msg(twin_run(c, &p, NULL, 160, &r, err, sizeof err) == 0, "%s", err);
    radius[0] = largest_radius(&r.out[tensor(c->op->out, "weight")]);
    radius[1] = largest_radius(&r.out[tensor(c->op->out, "y")]);
    radius[2] = largest_radius(&r.grad[tensor(c->op->in, "x")]);
    radius[3] = largest_radius(&r.grad[tensor(c->op->in, "wr")]);
    twin_result_clear(&r);
}

START_TEST(tensors_have_roundoffs_of_their_own)
{
    double f32[4], bf16[4], mixed[4];
    make("layer.smoe", "T=4,N=3,d=4,h=5", "k=2");
    radii_with("f32", NULL, NULL, f32);
    radii_with("bf16", NULL, NULL, bf16);
    for (int i = 0; i < 4; i++) ck_assert(f32[i] > 0 && bf16[i] > 1000 * f32[i]);
    radii_with("f32", "y", "bf16", mixed); /* its kernel's forward and reverse; the weights come before it */
    ck_assert(mixed[0] == f32[0] && mixed[1] > 1000 * f32[1] && mixed[1] <= bf16[1]);
    ck_assert(mixed[2] > 100 * f32[2] && mixed[2] <= bf16[2]);
    radii_with("f32", "weight", "bf16", mixed);
    ck_assert(mixed[0] > 1000 * f32[0] && mixed[0] <= bf16[0]);
    ck_assert(mixed[1] > 100 * f32[1] && mixed[1] <= bf16[1]); /* made of them */
    radii_with("bf16", "weight", "f32", mixed);
    ck_assert(mixed[0] > 100 * f32[0] && mixed[0] < bf16[0] && mixed[1] < bf16[1]); /* r is still in bf16 */
    with_r = true;
    radii_with("bf16", "weight", "f32", mixed);
    with_r = false;
    ck_assert(mixed[0] >= f32[0] && mixed[0] < 2 * f32[0] && mixed[1] > bf16[1] / 100 && mixed[1] < bf16[1]);
    radii_with("f32", "d_wr", "bf16", mixed); /* kept in it, and in nothing else */
    ck_assert(mixed[0] == f32[0] && mixed[1] == f32[1] && mixed[2] == f32[2] && mixed[3] > 50 * f32[3]);
    radii_with("bf16", "x", "bf16", mixed);
    for (int i = 0; i < 4; i++) ck_assert(mixed[i] == bf16[i]);
    done();
}
END_TEST

START_TEST(nonsense_is_refused)
{
    make("balance.switch", "T=4,N=3", "k=2");
    ck_assert_int_eq(twin_run(c, NULL, "NoSuchVariant", 128, &r, err, sizeof err), -1);
    ck_assert_msg(strstr(err, "NoSuchVariant") != NULL, "%s", err);
    ck_assert_int_eq(twin_run(c, NULL, "DiversitySquare", 128, &r, err, sizeof err), -1);
    int64_t *index = op_out_i64(c, "index");
    for (int64_t bad = -1; bad <= 3; bad += 4) {
        index[5] = bad;
        ck_assert_int_eq(twin_run(c, NULL, NULL, 128, &r, err, sizeof err), -1);
        ck_assert_msg(strstr(err, "index[5]") != NULL && strstr(err, "3 experts") != NULL, "%s", err);
        for (size_t i = 0; i < OP_TENSORS; i++) ck_assert(r.out[i].count == 0 && r.grad[i].count == 0);
    }
    op_record foreign = *c->op;
    foreign.id = "balance.unheard";
    c->op = &foreign;
    ck_assert_int_eq(twin_run(c, NULL, NULL, 128, &r, err, sizeof err), -1);
    ck_assert_msg(strstr(err, "no twin") != NULL, "%s", err);
    c->op = op_find("balance.switch");
    done();
}
END_TEST

/* "T=4,N=4,..." for the letters of an operation's inputs. */
static void sizes_of(const op_record *op, char *dims)
{
    *dims = '\0';
    for (size_t i = 0; op->in[i].name; i++)
        for (const char *p = op->in[i].shape; *p; p++)
            if (*p != ',' && !strchr(dims, *p))
                sprintf(dims + strlen(dims), "%s%c=%s", *dims ? "," : "", *p, *p == 'n' ? "24" : "4");
}

START_TEST(every_operation_has_a_twin)
{
    for (size_t i = 0; op_registry[i]; i++) {
        char dims[128];
        sizes_of(op_registry[i], dims);
        /* four atoms may fall into one cell, for which no power is known */
        make(op_registry[i]->id, dims, strcmp(op_registry[i]->id, "convergence.voronoi") == 0 ? "powers=fixed" : "");
        run("bf16", NULL);
        for (size_t o = 0; c->op->out[o].name; o++)
            if (c->op->out[o].kind == OP_BOUNDED && (c->op->out[o].flags & OP_I64) == 0)
                ck_assert_msg(r.out[o].count == c->out[o].count, "%s: no ball for %s", c->op->id, c->op->out[o].name);
        for (size_t n = 0; c->op->in[n].name; n++)
            if (c->op->in[n].flags & OP_DIFF)
                ck_assert_msg(r.grad[n].count == c->in[n].count, "%s: no gradient of %s", c->op->id, c->op->in[n].name);
        done();
    }
}
END_TEST

/* Whoever reads a decision refuses one that is out of range, and nothing is computed with it. */
START_TEST(a_decision_out_of_range_is_refused)
{
    size_t tried = 0;
    for (size_t o = 0; op_registry[o]; o++) {
        char dims[128];
        sizes_of(op_registry[o], dims);
        make(op_registry[o]->id, dims, strcmp(op_registry[o]->id, "convergence.voronoi") == 0 ? "powers=fixed" : "");
        for (size_t i = 0; c->op->out[i].name; i++) {
            if (c->op->out[i].kind != OP_DECISION) continue;
            c->out[i].i64[0] = 1000;
            ck_assert_msg(twin_run(c, NULL, NULL, 160, &r, err, sizeof err) == -1, "%s: %s of 1000", c->op->id,
                          c->op->out[i].name);
            twin_result_clear(&r);
            tried++;
        }
        op_case_free(c);
    }
    ck_assert(tried >= 20);
}
END_TEST

/* Sum of cotangent * output in twice the precision of a double: hi and lo of a sum of hi and lo. */
static void objective(arf_t s)
{
    arf_t a, b;
    arf_init(a);
    arf_init(b);
    arf_zero(s);
    for (size_t i = 0; c->op->out[i].name; i++)
        for (size_t e = 0; c->cot[i].f64 && e < r.out[i].count; e++) {
            arf_set_d(a, r.out[i].hi[e]);
            arf_set_d(b, r.out[i].lo[e]);
            arf_add(a, a, b, PREC, ARF_RND_NEAR);
            arf_set_d(b, c->cot[i].f64[e]);
            arf_addmul(s, a, b, PREC, ARF_RND_NEAR);
        }
    arf_clear(a);
    arf_clear(b);
}

/* d/dh of the objective along a direction of input i, by a central difference and by the gradient: how far apart. */
static double along(size_t i)
{
    const size_t n = c->in[i].count;
    const double h = 0x1p-34;
    double *x = c->in[i].f64, *v = calloc(n + 1, sizeof *v), *at = calloc(n + 1, sizeof *at), inner = 0, size = 0;
    arf_t s[2];
    ck_assert(v && at);
    run(NULL, NULL);
    for (size_t e = 0; e < n; e++) {
        v[e] = below(2) ? 1 : -0.5;
        at[e] = x[e];
        inner += v[e] * r.grad[i].hi[e];
        size += fabs(v[e] * r.grad[i].hi[e]);
    }
    for (size_t side = 0; side < 2; side++) {
        for (size_t e = 0; e < n; e++) x[e] = at[e] + (side ? -h : h) * v[e];
        twin_result_clear(&r);
        run(NULL, NULL);
        arf_init(s[side]);
        objective(s[side]);
    }
    memcpy(x, at, n * sizeof *x);
    arf_sub(s[0], s[0], s[1], PREC, ARF_RND_NEAR);
    arf_mul_2exp_si(s[0], s[0], 33);
    const double d = fabs(arf_get_d(s[0], ARF_RND_NEAR) - inner);
    arf_clear(s[0]);
    arf_clear(s[1]);
    twin_result_clear(&r);
    free(v);
    free(at);
    return size > 1e-25 ? d / size : d; /* a gradient that is 0 is 1e-38 here */
}

#define SHARING        "T=12,d=3,N=3,K=2,h=4,g=4,p=3"
#define SHARING_LINEAR "T=12,d=3,N=3,K=2,h=4,g=3,p=3"

/* Operations with every parameter that changes a formula; targets attached, for a difference sees through a stop. */
static const struct {
    const char *op, *dims, *set;
} every[] = {
    {"numerics.softmax", "T=3,N=4", ""},
    {"numerics.logsumexp", "T=3,N=4", ""},
    {"numerics.norm", "T=3,d=4", ""},
    {"numerics.topk", "T=3,N=4", "k=2"},
    {"numerics.axpy", "n=5", ""},
    {"numerics.gelu", "n=5", "approximate=tanh"},
    {"numerics.normal_cdf", "n=5", ""},
    {"expert.relu", "T=3,d=4,h=5", ""},
    {"expert.gelu", "T=3,d=4,h=5", ""},
    {"expert.swiglu", "T=3,d=4,h=5", ""},
    {"expert.keyvalue", "T=3,d=4,h=5", ""},
    {"gate.linear", "T=3,d=4,N=5", ""},
    {"gate.weights", "T=4,N=5", "k=3,order=topk-softmax"},
    {"gate.weights", "T=4,N=5", "k=3,order=softmax-topk"},
    {"gate.weights", "T=4,N=5", "k=3,order=softmax-topk-renorm"},
    {"gate.jitter", "T=3,d=4,N=5", ""},
    {"gate.noisy", "T=3,d=4,N=5", "k=2,epsilon=0.125"},
    {"gate.sigmoid", "T=4,N=5", "k=3"},
    {"gate.sigmoid", "T=4,N=5", "k=3,normalise=no"},
    {"gate.dropout", "T=4,d=3,N=5", "k=3"},
    {"gate.gshard", "T=8,N=4", "capacity=3"},
    {"gate.gshard", "T=8,N=4", "capacity=3,policy=all,normalise=after"},
    {"gate.hyper", "T=3,d=4,N=3,m=3,g=5", ""},
    {"gate.xmoe", "T=4,d=4,c=3,N=5", "k=2,norm=1.5"},
    {"gate.xmoe", "T=4,d=4,c=3,N=5", "k=2,gate=sigmoid,input=raw"},
    {"gate.perturbed", "T=3,d=4,N=5", "tau2=0.5"},
    {"gate.stable", "T=4,d=3,N=4", "stage=2"},
    {"gate.stable.distill", "T=9,V=4,m=3,N=4", "reduce=mean"},
    {"gate.deepseek", "T=6,d=3,N=8", "k=2,groups=4,topk_groups=2"},
    {"layer.capacity", "T=9,N=4", "k=2,factor=0.375"},
    {"layer.capacity", "T=9,N=4", "k=2,factor=0.375,policy=probability,order=softmax-topk"},
    {"layer.dispatch", "T=9,d=3,K=2", "experts=4,capacity=3"},
    {"layer.combine", "T=4,d=3,K=2,N=4,C=3", "overflow=pass"},
    {"layer.shared", "T=5,d=3,N=4,h=4,M=2", "k=2,form=residual,order=softmax-topk"},
    {"layer.smoe", "T=5,d=3,N=4,h=4", "k=2,order=topk-softmax,activation=relu"},
    {"layer.smoe", "T=5,d=3,N=4,h=4", "k=2,order=softmax-topk,activation=gelu"},
    {"layer.smoe", "T=5,d=3,N=4,h=4", "k=3,order=softmax-topk-renorm"},
    {"balance.switch", "T=6,N=4", "k=2"},
    {"balance.switch", "T=6,N=4", "k=2,count=first"},
    {"balance.switch", "T=6,N=4", "k=2,scope=sequence,sequence=3"},
    {"balance.switch", "T=6,N=4", "k=2,scope=layer,sequence=3,reduce=sum,divide=tokens,capacity=2"},
    {"balance.zloss", "T=6,N=4", ""},
    {"balance.importance", "T=6,N=4", "epsilon=0.25"},
    {"balance.importance", "T=6,N=4", "variance=unbiased"},
    {"balance.load", "T=5,N=4", "k=2"},
    {"balance.load", "T=5,N=4", "k=1,variance=unbiased,epsilon=0.25"},
    {"balance.gshard", "T=6,N=4", ""},
    {"balance.gshard", "T=6,N=4", "form=scaled,count=after,capacity=2"},
    {"balance.xmoe", "T=6,N=4", "count=number"},
    {"balance.stable", "T=6,N=4", "alpha=0.5"},
    {"balance.entropy", "T=6,N=4", ""},
    {"balance.entropy", "T=6,N=4", "scope=sequence,sequence=2"},
    {"balance.deepseek", "T=6,N=4", "k=2,sequence=3,alpha=0.5"},
    {"balance.global", "T=6,N=4", "k=2,micro=2"},
    {"balance.global", "T=6,N=4", "k=2,micro=2,form=accumulated"},
    {"compete.response", "T=3,N=2,d=4", "kind=softplus"},
    {"compete.response", "T=3,N=2,d=4", "kind=norm"},
    {"compete.response", "T=3,N=2,d=4", "kind=relu"},
    {"compete.response", "T=3,N=2,d=4", "kind=sigmoid"},
    {"compete.response", "T=3,N=2,d=4", "kind=silu"},
    {"compete.route", "T=3,N=4,d=3", "k=2,version=2"},
    {"compete.route", "T=3,N=4,d=3", "k=2,version=1"},
    {"compete.distill", "T=3,N=4", "k=2,detach=no"},
    {"compete.distill", "T=3,N=4", "k=2,detach=no,version=1"},
    {"compete.distill", "T=3,N=4", "k=2,detach=no,version=1,loss=kl"},
    {"compete.distill", "T=3,N=4", "k=2,detach=no,version=1,loss=kl-clamped"},
    {"compete.distill", "T=3,N=4", "k=2,detach=no,terms=winners"},
    {"compete.diversity", "T=3,K=3,d=4", "mean=pairs"},
    {"compete.diversity", "T=3,K=3,d=4", "mean=square"},
    {"compete.balance", "T=6,N=4", "k=2,scope=sequence,sequence=3,divide=tokens"},
    {"compete.mix", "T=3,N=4,d=3", "kind=norm,share=0.25"},
    {"compete.mix", "T=3,N=4,d=3", "kind=silu,share=0.75"},
    {"compete.step", "T=4,d=3,N=4,h=4", "k=2,detach=no,c_distill=1,c_diversity=1,c_balance=1"},
    {"compete.step", "T=4,d=3,N=4,h=4", "k=2,detach=no,version=1,mix=0.5,c_distill=1"},
    {"compete.step", "T=4,d=3,N=4,h=4", "k=2,detach=no,weights=sigmoid-ratio,response=silu,activation=gelu"},
    {"compete.step", "T=4,d=3,N=4,h=4", "k=2,compete=no,order=softmax-topk-renorm,c_zloss=1"},
    {"compete.layer", "T=4,d=3,N=4,h=4", "k=2,detach=no"},
    {"compete.layer", "T=4,d=3,N=4,h=4", "k=3,detach=no,activation=gelu,count=first,mean=square"},
    {"compete.layer", "T=4,d=3,N=4,h=4", "k=2,compete=no,order=softmax-topk"},
    {"simsmoe.head", "n=3,d=4,h=5,p=2", ""},
    {"simsmoe.head", "n=3,d=4,h=4,p=2", "kind=linear"},
    {"simsmoe.loss", SHARING, "detach_x=no,threshold=0"},
    {"simsmoe.loss", SHARING, "detach_x=no,threshold=-1,estimator=unbiased,activation=gelu,reduce=mean"},
    {"simsmoe.loss", SHARING_LINEAR, "detach_x=no,detach=no,threshold=0,kind=linear,kernel=rbf,bandwidth=median"},
    {"simsmoe.layer", "T=12,d=3,N=3,h=4,g=4,p=3", "k=2,detach_x=no,frequency=0,threshold=0"},
    {"simsmoe.step", "T=12,d=3,N=3,h=4,g=4,p=3", "k=2,detach_x=no,frequency=0,threshold=0,order=softmax-topk"},
    {"similarity.kernel", "n=5,p=3", "centre=yes"},
    {"similarity.kernel", "n=6,p=3", "kernel=rbf,bandwidth=median,detach=no"},
    {"similarity.kernel", "n=5,p=3", "kernel=rbf,bandwidth=median,detach=no,diagonal=without,centre=yes"},
    {"similarity.hsic", "n=6,p=3,q=2", "divide=n"},
    {"similarity.hsic", "n=6,p=3,q=2", "kernel=rbf,bandwidth=median,detach=no,estimator=debiased,median=square"},
    {"similarity.cka", "n=6,p=3,q=2", ""},
    {"similarity.cka", "n=6,p=3,q=2", "estimator=unbiased"},
    {"similarity.cka", "n=6,p=3,q=2", "kernel=rbf,bandwidth=median,detach=no,middle=lower"},
    {"similarity.minibatch", "n=10,p=3,q=2", "batch=5,kernel=rbf,bandwidth=median,detach=no"},
    {"similarity.cosine", "n=5,d=3", ""},
    {"similarity.cosine", "n=5,d=3", "form=absolute"},
    {"convergence.density", "n=5,N=3,d=2", "k=3"},
    {"convergence.density.hidden", "n=4,N=3,d=2,H=2", "gate=softplus,k=3"},
    {"convergence.loglik", "n=5,N=3,d=2", "gate=softplus-softmax,k=3"},
    {"convergence.loglik.hidden", "n=4,N=3,d=2,H=2", "activation=gelu,gate=softmax,k=3"},
};

/* Under Valgrind (SMOE_TEST_LIGHT) one in eight of the rows of the longest tables is looked at, and one in eight of the pairs of
 * a case and a profile. */
static size_t one_in(void) { return getenv("SMOE_TEST_LIGHT") ? 8 : 1; }

/* The bounds of an operation, outputs and then gradients, under a precision in which one tensor has another; as many as there are. */
static size_t bounds_with(const char *precision, const char *name, const char *of, size_t most, double *radii)
{
    twin_profile p = *twin_profile_find(precision), own[2] = {p, {.name = NULL}};
    size_t n = 0;
    if (name) {
        own[0] = *twin_profile_find(of);
        own[0].name = name;
        p.tensor = own;
    }
    ck_assert_msg(twin_run(c, &p, NULL, 160, &r, err, sizeof err) == 0, "%s", err);
    for (size_t i = 0; i < 2 * OP_TENSORS; i++) {
        const twin_tensor *y = i < OP_TENSORS ? &r.out[i] : &r.grad[i - OP_TENSORS];
        for (size_t e = 0; e < y->count && n < most; e++) radii[n++] = y->rad[e];
    }
    twin_result_clear(&r);
    return n;
}

/* One tensor in bf16 makes no bound smaller than f32 throughout, and none larger than bf16 throughout; in f32 it is no tensor of its
 * own at all.  The integrals of a distance would take half a minute. */
START_TEST(a_tensor_of_its_own_lies_between)
{
    enum { BOUNDS = 4096 };
    static double fine_ones[BOUNDS], mixed[BOUNDS], coarse_ones[BOUNDS];
    for (size_t o = 0; op_registry[o]; o += one_in()) {
        char dims[128];
        sizes_of(op_registry[o], dims);
        if (strcmp(op_registry[o]->id, "convergence.distance") == 0) continue;
        char *rows = strstr(dims, "n=24");
        if (rows && strncmp(op_registry[o]->id, "similarity.", 11) == 0) memcpy(rows, "n=08", 4);
        make(op_registry[o]->id, dims, strcmp(op_registry[o]->id, "convergence.voronoi") == 0 ? "powers=fixed" : "");
        const size_t n = bounds_with("f32", NULL, NULL, BOUNDS, fine_ones);
        bounds_with("bf16", NULL, NULL, BOUNDS, coarse_ones);
        const op_tensor *const list[] = {c->op->in, c->op->out};
        for (size_t k = 0; k < 2; k++)
            for (const op_tensor *own = list[k]; own->name; own++) {
                ck_assert_uint_eq(bounds_with("f32", own->name, "bf16", BOUNDS, mixed), n);
                for (size_t e = 0; e < n; e++)
                    ck_assert_msg(mixed[e] >= fine_ones[e] * (1 - 1e-6) && mixed[e] <= coarse_ones[e] * (1 + 1e-6),
                                  "%s with %s in bf16: bound %zu is %g, in f32 %g, in bf16 %g", c->op->id, own->name, e,
                                  mixed[e], fine_ones[e], coarse_ones[e]);
                bounds_with("f32", own->name, "f32", BOUNDS, mixed);
                for (size_t e = 0; e < n; e++)
                    ck_assert_msg(mixed[e] == fine_ones[e], "%s with %s in f32: bound %zu is %g, not %g", c->op->id,
                                  own->name, e, mixed[e], fine_ones[e]);
            }
        done();
    }
}
END_TEST

START_TEST(gradients_of_operations_agree_with_differences)
{
    state = 8;
    for (size_t i = 0; i < sizeof every / sizeof *every; i += one_in()) {
        make(every[i].op, every[i].dims, every[i].set);
        for (size_t n = 0; c->op->in[n].name; n++) {
            if (!(c->op->in[n].flags & OP_DIFF)) continue;
            const double d = along(n); /* h^2 = 2^-68; hi is a double */
            ck_assert_msg(d <= 1e-13, "%s %s: gradient of %s departs by %g", every[i].op, every[i].set,
                          c->op->in[n].name, d);
        }
        done();
    }
}
END_TEST

/* 4 tokens, N = 2, K = 1: p = 3/4, 1/4 for three tokens and 1/4, 3/4 for the last: r = (ln 3, 0) and (0, ln 3). */
START_TEST(switch_loss_by_hand)
{
    const double ln3 = log(3), logits[] = {ln3, 0, ln3, 0, ln3, 0, 0, ln3};
    make("balance.switch", "T=4,N=2", "k=1");
    set(&c->in[0], 8, logits);
    decide();
    run(NULL, NULL);
    ck_assert_double_eq_tol(out("loss", 0), 2 * (0.75 * 0.625 + 0.25 * 0.375), 1e-15);
    ck_assert(out("fraction", 0) == 0.75 && out("fraction", 1) == 0.25);
    ck_assert_double_eq_tol(out("probability", 0), 0.625, 1e-15);
    ck_assert_msg(r.out[tensor(c->op->out, "fraction")].rad[0] == 0, "3/4 is exact");
    done();
}
END_TEST

static void same(const char *name, size_t n, const double *x)
{
    const twin_tensor *y = &r.out[tensor(c->op->out, name)];
    ck_assert_uint_eq(y->count, n);
    for (size_t e = 0; e < n; e++)
        ck_assert_msg(y->hi[e] == x[e] && y->rad[e] == 0, "%s[%zu] is %g, not %g", name, e, y->hi[e], x[e]);
}

/* Four tokens, choices (0,1) (0,1) (1,0) (0,2), two places each.  By choice: tokens 0 and 1 fill expert 0, token 3's
 * first choice comes too late; tokens 2 and 0 fill expert 1. */
START_TEST(capacity_by_hand)
{
    const double logits[] = {0, 0, -2000, 0, 0, -2000, 0, 2000, -2000, 0, -2000, 0};
    const double kept[] = {1, 1, 1, 0, 1, 0, 0, 1}, slot[] = {0, 1, 1, -1, 0, -1, -1, 0}, load[] = {2, 2, 1};
    const double kept_t[] = {1, 1, 1, 1, 0, 0, 0, 1}, slot_t[] = {0, 0, 1, 1, -1, -1, -1, 0};
    const double cot[] = {1, 0, 0, 7, 3, 3, 5, 1}, dr[] = {0.25, -0.25, 0, 0, 0, 0, 0, 0, 0, -0.25, 0, 0.25};
    for (size_t by_token = 0; by_token < 2; by_token++) {
        make("layer.capacity", "T=4,N=3", by_token ? "k=2,factor=0.75,priority=token" : "k=2,factor=0.75");
        set(&c->in[0], 12, logits);
        set(&c->cot[tensor(c->op->out, "weight")], 8, cot);
        decide();
        run(NULL, NULL);
        same("kept", 8, by_token ? kept_t : kept);
        same("slot", 8, by_token ? slot_t : slot);
        same("load", 3, load);
        for (size_t e = 0; e < 12 && !by_token; e++) ck_assert_double_eq_tol(grad("r", e), dr[e], 1e-30);
        done();
    }
}
END_TEST

/* By weight expert 0, with one place, keeps the token that is sure of it; of equals, the earlier one. */
START_TEST(largest_weights_by_hand)
{
    const double logits[] = {1, 0, 2, 0, 0, 1, 0, 1}, kept[] = {0, 1, 1, 0};
    make("layer.capacity", "T=4,N=2", "k=1,factor=0.5,policy=probability,order=softmax-topk");
    set(&c->in[0], 8, logits);
    decide();
    run("bf16", NULL); /* tokens 2 and 3 are equal to the bit: no precision doubts which is kept */
    same("kept", 4, kept);
    done();
    make("layer.capacity", "T=4,N=2", "k=1,factor=0.5,policy=probability,order=softmax-topk");
    set(&c->in[0], 8, (const double[]){1, 0, 1.0078125, 0, 0, 1, 0, 1});
    decide();
    run("bf16", NULL); /* weights nearer to each other than a store of 8 bits */
    const twin_tensor *k = &r.out[tensor(c->op->out, "kept")];
    ck_assert_msg(k->rad[0] >= 1 && k->rad[1] >= 1 && k->rad[2] == 0, "either of tokens 0 and 1 may be kept");
    ck_assert(k->rad[0] < 1.001 && k->rad[1] < 1.001);
    const twin_tensor *slot = &r.out[tensor(c->op->out, "slot")];
    for (size_t t = 0; t < 2; t++) ck_assert_msg(slot->rad[t] >= 1 && slot->rad[t] < 1.001, "at place 0, or at none");
    twin_result_clear(&r);
    run("f32", NULL);
    same("kept", 4, kept);
    done();
    make("layer.capacity", "T=4,N=2", "k=1,factor=1,policy=probability,order=softmax-topk");
    set(&c->in[0], 8, (const double[]){1.003, 0, 1, 0, 1.004, 0, 1.001, 0});
    decide();
    run("bf16", NULL); /* any two of four may be kept: the middles say which is shown, tokens 0 and 2 */
    k = &r.out[tensor(c->op->out, "kept")];
    slot = &r.out[tensor(c->op->out, "slot")];
    for (size_t t = 0; t < 4; t++) ck_assert(k->hi[t] == (t % 2 == 0) && k->rad[t] >= 1 && k->rad[t] < 1.001);
    for (size_t t = 0; t < 4; t++) ck_assert_msg(slot->rad[t] >= 2 && slot->rad[t] < 2.001, "0 and 1, or none");
    done();
    make("layer.capacity", "T=3,N=2", "k=2,factor=0.25,policy=probability,order=softmax-topk");
    set(&c->in[0], 6, (const double[]){1, 0, 1, 0, 2, 0});
    decide();
    /* one place each: of expert 0 it is token 2's, of expert 1 that of the first of two that are equal to the bit */
    run("bf16", NULL);
    same("kept", 6, (const double[]){0, 1, 0, 0, 1, 0});
    done();
}
END_TEST

/* Of two tokens' pairs of experts the first is the same, the second has one of three in common: (0 + 2/3) / 2.  In f32 the route
 * through n / (2 K - n) rounds four numbers of at most 1, each by 2^-24; another one may be 4 of these away. */
START_TEST(change_by_hand)
{
    make("layer.change", "T=2,K=2", "measure=jaccard");
    memcpy(c->in[0].i64, (const int64_t[]){0, 1, 0, 1}, 4 * sizeof(int64_t));
    memcpy(c->in[1].i64, (const int64_t[]){1, 0, 0, 2}, 4 * sizeof(int64_t));
    run("f32", NULL);
    ck_assert_double_eq_tol(out("rate", 0), 1.0 / 3, 0x1p-21);
    const double radius = r.out[tensor(c->op->out, "rate")].rad[0];
    ck_assert_msg(radius >= 0x4p-24 && radius <= 0x8p-24, "the radius is %g", radius);
    done();
}
END_TEST

/* Tokens 0, 2 of expert 0 and 4, 6 of expert 1: within 1, between 4. */
START_TEST(collapse_by_hand)
{
    make("layer.collapse", "T=4,d=1", "experts=2");
    set(&c->in[0], 4, (const double[]){0, 2, 4, 6});
    memcpy(c->in[1].i64, (const int64_t[]){0, 0, 1, 1}, 4 * sizeof(int64_t));
    run(NULL, NULL);
    ck_assert_double_eq_tol(out("rc", 0), 0.25, 1e-30);
    twin_result_clear(&r);
    run(NULL, "CollapseSwapped");
    ck_assert_double_eq_tol(out("rc", 0), 4, 1e-30);
    twin_result_clear(&r);
    run(NULL, "CollapseProduct");
    ck_assert_double_eq_tol(out("rc", 0), 4, 1e-30);
    twin_result_clear(&r);
    run(NULL, "CollapseUncentred"); /* Sb = (1 + 25) / 2 */
    ck_assert_double_eq_tol(out("rc", 0), 1 / 13.0, 1e-16);
    twin_result_clear(&r);
    run(NULL, "CollapseInverse");
    ck_assert_double_eq_tol(out("rc", 0), 1 / (4 + 0x1p-20), 1e-16);
    twin_result_clear(&r);
    run(NULL, "CollapseDivisors"); /* Sw = 4/2, Sb = 16/1 */
    ck_assert_double_eq_tol(out("rc", 0), 0.125, 1e-30);
    done();
}
END_TEST

/* The row (0 -2): exp gives 1, exactly, and a = e^-2 within e; their sum s and its logarithm l = 0.12693.  e is nothing in the
 * fine profile and a store in the coarse one, where the relative error of s is then 1 and a/s.  p has that of its
 * exponential, of s, and 2 of the quotient; by exp(z - l) besides e l and w (|z| + l).  l has that of s, absolutely, e l,
 * and the sum with the maximum. */
START_TEST(a_softmax_by_hand)
{
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        const double a = 0.1353352832366127, s = 1 + a, l = 0.1269280110429726, e = i, rs = 1 + e * a / s;
        make("numerics.softmax", "T=1,N=2", "");
        set(&c->in[0], 2, (const double[]){0, -2});
        ck_assert_msg(twin_run(c, p, NULL, 160, &r, err, sizeof err) == 0, "%s", err);
        is_units(r.out[0].rad[0], p, (rs + 2 + e * l + l) / s, "p of the largest");
        is_units(r.out[0].rad[1], p, (e + rs + 2 + e * l + 2 + l) * a / s, "p of the other");
        done();
        make("numerics.logsumexp", "T=1,N=2", "");
        set(&c->in[0], 2, (const double[]){0, -2});
        ck_assert_msg(twin_run(c, p, NULL, 160, &r, err, sizeof err) == 0, "%s", err);
        is_units(r.out[0].rad[0], p, rs + e * l + l, "the logarithm of the sum");
        done();
    }
}
END_TEST

/* Whichever of its choices a token spends on an expert, its weights' gradients may be one sum over all tokens: the same terms in two
 * blocks have no smaller bound than in one. */
START_TEST(an_expert_s_choices_admit_one_sum)
{
    double bound[2];
    for (int split = 0; split < 2; split++) {
        make("layer.smoe", "T=4,d=1,N=2,h=1", "k=2");
        int64_t *index = op_out_i64(c, "index");
        for (int t = 0; t < 4; t++) {
            const int second = split && t > 1;
            index[2 * t] = second;
            index[2 * t + 1] = !second;
        }
        run("f32", NULL);
        bound[split] = r.grad[tensor(c->op->in, "b2")].rad[0];
        done();
    }
    ck_assert_msg(bound[1] >= bound[0], "%g in two blocks, %g in one", bound[1], bound[0]);
}
END_TEST

/* Groups of 2 and 4 of 6, their means 1 and 5, exactly: the shares of the second are 2/3, M = 2/3 - 4/9, M^-1 = 9/2, D D^T = 16, so
 * |Sb| = 32/9 and |Sb^+| = 9/32; within 1, rc = 9/32, the mean square of the states 18.  What is stored errs by
 * rc (4 + 4 sqrt(18 * 32/9) 9/32 + 8) + 4 sqrt(18) 9/32 = 9/32 21 + 4.77297; rc itself, on its way, by a share's 2, a quotient's 2,
 * a sum, the sum over the tokens and a sixth's 2: 8 times 9/32, and 12 where the sum of six has five roundings.  What is not
 * stored errs, in (6 + 16) roundoffs of the arithmetic, by 18 9/32 (1 + 9/32) + 9/32. */
START_TEST(a_collapse_errs_by_its_condition)
{
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        make("layer.collapse", "T=6,d=1", "experts=2");
        set(&c->in[0], 6, (const double[]){0, 2, 4, 4, 6, 6});
        memcpy(c->in[1].i64, (const int64_t[]){0, 0, 1, 1, 1, 1}, 6 * sizeof(int64_t));
        ck_assert_msg(twin_run(c, p, NULL, 160, &r, err, sizeof err) == 0, "%s", err);
        const double stored = 0.28125 * 21 + 4.77297077, way = 0.28125 * (i ? 8 : 12),
                     arithmetic = 22 * (18 * 0.28125 * 1.28125 + 0.28125);
        ck_assert_double_eq_tol(out("rc", 0), 0.28125, 1e-9);
        is_units(r.out[tensor(c->op->out, "rc")].rad[0], p, stored + way + (i ? 0 : arithmetic), "a collapse");
        done();
    }
}
END_TEST

/* Distances of 0, 1, 3, 7: 1, 2, 3, 4, 6, 7.  Twice each: 3 and 4 in the middle; with four zeros, 2 and 3. */
START_TEST(bandwidths_by_hand)
{
    static const struct {
        const char *set;
        double variance;
    } known[] = {
        {"", 6.25},
        {"middle=lower", 4},
        {"median=square", 6.5},
        {"diagonal=without", 12.25},
        {"diagonal=without,middle=lower", 9},
        {"diagonal=without,median=square", 12.5},
        {"sigma=0.5", 1.5625},
        {"bandwidth=absolute,sigma=0.5", 0.25},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char all[128];
        snprintf(all, sizeof all, "kernel=rbf,%s%s%s%s", strstr(known[i].set, "absolute") ? "" : "bandwidth=median",
                 strstr(known[i].set, "absolute") ? known[i].set : "", strstr(known[i].set, "sigma") ? "" : ",sigma=1",
                 "");
        if (!strstr(known[i].set, "absolute") && *known[i].set) strcat(strcat(all, ","), known[i].set);
        make("similarity.kernel", "n=4,p=1", all);
        set(&c->in[0], 4, (const double[]){0, 1, 3, 7});
        run(NULL, NULL);
        ck_assert_msg(out("bandwidth", 0) == known[i].variance, "%s: %g, not %g", all, out("bandwidth", 0),
                      known[i].variance);
        ck_assert_double_eq_tol(out("gram", 1), exp(-0.5 / known[i].variance), 1e-15);
        done();
    }
}
END_TEST

/* Bits b of the sample's number, +-1: x = (b0, b1), y = (b0 + b2, b1 b2).  X^T Y has one entry, 8; X^T X is 8 I, Y^T Y
 * diag(16, 8).  HSIC_0 = 64/49, CKA = 64 / sqrt(128 320).  |x_i|^2 = 2, |y_i|^2 is 5 and 1 in turn:
 * HSIC_1 = (64 - 8/6 48 + 16 24 / 42) / 40 = 8/35. */
static void factorial(void)
{
    for (size_t i = 0; i < 8; i++) {
        const double b[3] = {i % 2 ? 1 : -1, i / 2 % 2 ? 1 : -1, i / 4 % 2 ? 1 : -1};
        c->in[0].f64[2 * i] = b[0];
        c->in[0].f64[2 * i + 1] = b[1];
        c->in[1].f64[2 * i] = b[0] + b[2];
        c->in[1].f64[2 * i + 1] = b[1] * b[2];
    }
}

START_TEST(similarity_by_hand)
{
    static const struct {
        const char *op, *set, *variant, *name;
        double value;
    } known[] = {
        {"similarity.hsic", "", NULL, "hsic", 64.0 / 49},
        {"similarity.hsic", "divide=n", NULL, "hsic", 1},
        {"similarity.hsic", "divide=none", NULL, "hsic", 64},
        {"similarity.hsic", "", "HsicDivisor/n", "hsic", 1},
        {"similarity.hsic", "estimator=unbiased", NULL, "hsic", 8.0 / 35},
        {"similarity.hsic", "estimator=debiased", NULL, "hsic", 8.0 / 35},
        {"similarity.hsic", "estimator=unbiased", "HsicDivisor/unbiased", "hsic", 8.0 / 49},
        {"similarity.hsic", "estimator=unbiased", "BiasedSmallN", "hsic", 64.0 / 49},
        {"similarity.cka", "", NULL, "cka", 0.31622776601683794},
        {"similarity.cka", "route=features", NULL, "cka", 0.31622776601683794},
        {"similarity.cka", "", "MissingRoot", "cka", 64.0 / 49 / (128.0 / 49 * 320 / 49)},
        {"similarity.cka", "", "SmallNNaN", "cka", 0.31622776601683794},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        make(known[i].op, "n=8,p=2,q=2", known[i].set);
        factorial();
        run(NULL, known[i].variant);
        ck_assert_msg(fabs(out(known[i].name, 0) - known[i].value) <= 1e-15 * known[i].value,
                      "%s %s %s: %.17g, not %.17g", known[i].op, known[i].set, known[i].variant ? known[i].variant : "",
                      out(known[i].name, 0), known[i].value);
        done();
    }
}
END_TEST

/* Two layers have filled step 0; the third one's head there moves to step 1, where its own head falls. */
START_TEST(schedule_by_hand)
{
    const double coins[] = {0.25, 0.75, 0.75, 0.25, 0.75, 0.75, 0.25, 0.25, 0.75};
    const double mended[] = {1, 0, 0, 1, 0, 0, 0, 1, 1}, published[] = {1, 0, 0, 1, 0, 0, 0, 1, 0};
    make("compete.schedule", "L=3,S=3", "rate=0.5,cap=2,warm_up=0");
    set(&c->in[0], 9, coins);
    run("bf16", NULL);
    same("compete", 9, mended);
    same("load", 3, (const double[]){2, 1, 1});
    same("lost", 3, (const double[]){0, 0, 0});
    twin_result_clear(&r);
    run("bf16", "ScheduleCollision");
    same("compete", 9, published);
    same("load", 3, (const double[]){2, 2, 0});
    same("lost", 3, (const double[]){0, 0, 1});
    done();
}
END_TEST

/* Exact integers are compared bit by bit: no case may have one that a precision's rounding could turn.  Without cotangents, for
 * gradients are not asked for. */
START_TEST(exact_integers_are_beyond_doubt)
{
    size_t cases = 0;
    for (size_t o = 0; op_registry[o]; o++)
        for (const op_spec *s = op_registry[o]->cases; s->name; s++) {
            bool any = false;
            for (const op_tensor *t = op_registry[o]->out; t->name; t++)
                any |= t->kind == OP_EXACT && t->flags & OP_I64;
            if (!any || op_in_suite(s, "large")) continue;
            c = op_case_from_spec(op_registry[o], s, 1, err, sizeof err);
            ck_assert_msg(c && op_run(c) == SMOE_OK, "%s.%s", op_registry[o]->id, s->name);
            for (size_t i = 0; i < OP_TENSORS; i++) {
                free(c->cot[i].f64);
                c->cot[i].f64 = NULL;
            }
            for (const twin_profile *p = twin_profiles; p->name; p++) {
                if ((cases + (size_t)(p - twin_profiles)) % one_in() != 0) continue;
                run(p->name, NULL);
                for (size_t i = 0; c->op->out[i].name; i++)
                    for (size_t e = 0; c->op->out[i].kind == OP_EXACT && e < r.out[i].count; e++)
                        ck_assert_msg(r.out[i].rad[e] == 0 && r.out[i].hi[e] == (double)c->out[i].i64[e],
                                      "%s.%s at %s: %s[%zu] is %lld, by the twin %g with radius %g", c->op->id, s->name,
                                      p->name, c->op->out[i].name, e, (long long)c->out[i].i64[e], r.out[i].hi[e],
                                      r.out[i].rad[e]);
                twin_result_clear(&r);
            }
            op_case_free(c);
            cases++;
        }
    ck_assert_uint_ge(cases, 30);
}
END_TEST

START_TEST(detached_targets_get_exactly_nothing)
{
    make("compete.distill", "T=3,N=4", "k=2,detach=yes");
    run("f32", NULL);
    const size_t s = tensor(c->op->in, "s");
    for (size_t e = 0; e < r.grad[s].count; e++) ck_assert(r.grad[s].hi[e] == 0 && r.grad[s].rad[e] == 0);
    done();
}
END_TEST

/* Sets every element of an input to x; an operation without that input is left alone. */
static void level(const char *name, double x)
{
    for (size_t i = 0; c->op->in[i].name; i++)
        for (size_t e = 0; strcmp(c->op->in[i].name, name) == 0 && e < c->in[i].count; e++) c->in[i].f64[e] = x;
}

/* Equal logits: each share is 1/2, twice that is 1, and whether a rounded 1 exceeds a draw of 1 nobody can say. */
START_TEST(a_share_at_the_threshold_is_left_open)
{
    make("gate.gshard", "T=1,N=2", "");
    level("r", 0);
    decide();
    const size_t kept = tensor(c->op->out, "kept"), weight = tensor(c->op->out, "weight");
    level("u", 1);
    run("f64", NULL);
    ck_assert(r.out[kept].rad[0] == 0 && r.out[kept].hi[0] == 1);
    ck_assert_msg(r.out[kept].hi[1] == 0.5 && r.out[kept].rad[1] >= 0.5, "sent or not");
    ck_assert_msg(r.out[kept].rad[1] < 0.501, "nothing else");
    ck_assert_msg(r.out[weight].hi[1] + r.out[weight].rad[1] >= 0.5 && r.out[weight].hi[1] <= r.out[weight].rad[1],
                  "its weight is 0, or 1/2, or anything between");
    twin_result_clear(&r);
    level("u", 0.75);
    run("f64", NULL);
    ck_assert_msg(r.out[kept].hi[1] == 1 && r.out[kept].rad[1] == 0, "2/2 exceeds 3/4 in every implementation");
    done();
}
END_TEST

/* Two groups of equal scores: the exact run takes the first, by the rule; a rounded one may take either. */
START_TEST(groups_within_rounding_are_left_open)
{
    make("gate.deepseek", "T=1,d=2,N=4", "k=1,groups=2,topk_groups=1");
    level("x", 0);
    level("bias", 0);
    decide();
    const size_t index = tensor(c->op->out, "index");
    run(NULL, NULL);
    ck_assert(r.score[index].hi[0] == 0.5 && r.score[index].hi[2] == -0x1p100);
    twin_result_clear(&r);
    run("f32", NULL);
    for (size_t e = 0; e < 4; e++) ck_assert_msg(isinf(r.score[index].rad[e]), "nothing is known of expert %zu", e);
    twin_result_clear(&r);
    for (size_t i = 0; i < 2; i++) op_in(c, "bias")[i] = 0.25; /* now the first group is ahead, for everybody */
    run("bf16", NULL);
    ck_assert(isfinite(r.score[index].rad[0]) && r.score[index].hi[2] == -0x1p100 && r.score[index].rad[2] == 0);
    done();
}
END_TEST

/* What stood in the result before is of no account, whether the evaluation succeeds or not. */
START_TEST(a_result_begins_empty)
{
    make("gate.weights", "T=2,N=3", "k=2");
    for (int fails = 0; fails < 2; fails++) {
        memset(&r, 1, sizeof r);
        ck_assert_int_eq(twin_run(c, NULL, fails ? "NoSuchVariant" : NULL, 160, &r, err, sizeof err), fails ? -1 : 0);
        const size_t weight = tensor(c->op->out, "weight"), index = tensor(c->op->out, "index");
        ck_assert_uint_eq(r.out[weight].count, fails ? 0 : 4);
        ck_assert(r.out[index].count == 0 && r.score[weight].count == 0 && r.out[OP_TENSORS - 1].hi == NULL);
        twin_result_clear(&r);
    }
    op_case_free(c);
}
END_TEST

START_TEST(no_tokens_no_trouble)
{
    make("layer.smoe", "T=0,d=3,N=4,h=2", "k=2");
    run("f32", NULL);
    for (size_t e = 0; e < r.grad[tensor(c->op->in, "w1")].count; e++) ck_assert(grad("w1", e) == 0);
    done();
}
END_TEST

START_TEST(results_are_rounded_outwards)
{
    make("numerics.exp", "n=4", "");
    run(NULL, NULL);
    for (size_t e = 0; e < 4; e++) {
        const double x = c->in[0].f64[e];
        ck_assert_double_eq_tol(out("y", e), exp(x), 4e-16 * exp(x));
        ck_assert(fabs(r.out[0].lo[e]) <= 0x1p-53 * out("y", e) && r.out[0].lo[e] != 0);
        ck_assert_msg(r.out[0].rad[e] > 0 && r.out[0].rad[e] < 1e-31 * out("y", e), "hi + lo leave something over");
    }
    done();
}
END_TEST

/* e^1000 is no double; of e^-1000 and of what is left over of e^-660 (a bit more than 2^-953) the radius is the least that is told. */
START_TEST(results_reach_beyond_doubles)
{
    make("numerics.exp", "n=4", "");
    set(&c->in[0], 4, (const double[]){1000, -1000, -660, 0});
    run(NULL, NULL);
    const double hi[] = {0, 0, exp(-660), 1}, rad[] = {INFINITY, 0x1p-1074, 0x1p-1000, 0};
    for (size_t e = 0; e < 4; e++) {
        ck_assert(fabs(out("y", e) - hi[e]) <= 0x1p-52 * hi[e] && r.out[0].rad[e] == rad[e]);
        ck_assert((r.out[0].lo[e] != 0) == (e == 2));
    }
    done();
}
END_TEST

/* --- no place is special --------------------------------------------------------------------------------------------
 *
 * Tokens, samples, experts, features and what else there are several of have no order but where an equation says so: turned round,
 * with a decision's numbers turned round as well, they have the same values, gradients and bounds, each at its new place.  The
 * cases are those above and the operations without a gradient. */
static const struct {
    const char *op, *dims, *set;
} besides[] = {
    {"gate.entropy", "T=3,N=5", ""},
    {"gate.stable", "T=4,d=3,N=4", ""},
    {"layer.load", "T=5,N=4", "k=2"},
    {"layer.collapse", "T=15,d=4", "experts=3"},
    {"layer.change", "T=6,K=2", "measure=jaccard"},
    {"balance.deepseek.bias", "N=5", ""},
    {"compete.lambda", "n=8", ""},
    {"similarity.hsic", "n=6,p=3,q=2", "kernel=rbf,bandwidth=median"},
    {"similarity.hsic", "n=8,p=3,q=2", "estimator=unbiased"},
    {"similarity.cka", "n=8,p=3,q=2", "kernel=rbf"},
    {"similarity.cka", "n=8,p=3,q=2", "estimator=debiased"},
    {"convergence.hvp", "n=6,N=3,d=2", "gate=softplus,k=3"},
    {"convergence.hvp", "n=6,N=3,d=2", "gate=softmax,k=2"},
    {"convergence.sample", "n=6,N=3,d=2", ""},
    {"convergence.distance", "n=4,N=2,S=2,d=1", ""},
    {"convergence.voronoi", "N=2,S=3,d=3", "powers=fixed"},
    {"convergence.em", "n=8,N=2,d=2", ""},
};
enum { EVERY = sizeof every / sizeof *every, BESIDES = sizeof besides / sizeof *besides };

/* Element e of a tensor of that shape after each axis with that letter is turned round. */
static size_t turned(const char *shape, const op_value *v, char letter, size_t e)
{
    size_t at = 0, stride = 1;
    for (size_t k = v->rank; k-- > 0;) {
        const size_t n = v->dim[k], i = e % n;
        at += (shape[2 * k] == letter ? n - 1 - i : i) * stride;
        e /= n;
        stride *= n;
    }
    return at;
}

static void turn(const op_tensor *t, op_value *v, char letter)
{
    const op_value old = *v;
    const bool numbers =
        letter == 'N' &&
        (strcmp(t->name, "index") == 0 || strcmp(t->name, "target") == 0 || strcmp(t->name, "cell") == 0) && v->i64;
    if (v->f64) v->f64 = op_room(v->count, sizeof *v->f64);
    if (v->i64) v->i64 = op_room(v->count, sizeof *v->i64);
    for (size_t e = 0; e < v->count; e++) {
        const size_t from = turned(t->shape, v, letter, e);
        if (v->f64) v->f64[e] = old.f64[from];
        if (v->i64) v->i64[e] = numbers ? (int64_t)op_dim(c, 'N') - 1 - old.i64[from] : old.i64[from];
    }
    free(old.f64);
    free(old.i64);
}

static void agrees_turned(const char *set, const op_tensor *t, const op_value *v, char letter, const char *what,
                          const twin_tensor *a, const twin_tensor *b)
{
    for (size_t e = 0; e < a->count; e++) {
        const size_t at = turned(t->shape, v, letter, e);
        const double here = a->rad[e], there = b->rad[at];
        ck_assert_msg(here == there || fabs(here - there) <= 1e-6 * here,
                      "%s (%s) with %c turned round: the bound of %s%s[%zu] is %.17g, and %.17g there", c->op->id, set,
                      letter, what, t->name, e, here, there);
        ck_assert_msg(isinf(here) || fabs(a->hi[e] - b->hi[at]) <= 1e-12 * fabs(a->hi[e]) + 1e-6 * here,
                      "%s (%s) with %c turned round: %s%s[%zu] is %.17g, and %.17g there", c->op->id, set, letter, what,
                      t->name, e, a->hi[e], b->hi[at]);
    }
}

static void no_place_is_special(const char *op, const char *dims, const char *set, char letter, const char *profile)
{
    make(op, dims, set);
    run(profile, NULL);
    const twin_result before = r;
    for (size_t i = 0; c->op->in[i].name; i++) turn(&c->op->in[i], &c->in[i], letter);
    for (size_t i = 0; c->op->out[i].name; i++) {
        if (c->out[i].i64) turn(&c->op->out[i], &c->out[i], letter);
        if (c->cot[i].f64) turn(&c->op->out[i], &c->cot[i], letter);
    }
    run(profile, NULL);
    for (size_t i = 0; c->op->out[i].name; i++) {
        if (letter == 'N' && strcmp(c->op->out[i].shape, "N,N") == 0) continue; /* of pairs i < j */
        agrees_turned(set, &c->op->out[i], &c->out[i], letter, "", &before.out[i], &r.out[i]);
    }
    for (size_t i = 0; c->op->in[i].name; i++)
        agrees_turned(set, &c->op->in[i], &c->in[i], letter, "d_", &before.grad[i], &r.grad[i]);
    twin_result gone = before;
    twin_result_clear(&gone);
    done();
}

static bool has_letter(const op_record *op, char letter)
{
    for (size_t i = 0; op->in[i].name; i++)
        if (strchr(op->in[i].shape, letter)) return true;
    return false;
}

/* Where an equation goes by the order: places of a buffer are given by it, the micro-batches so far, the atom that a coin falls on;
 * columns of an atom are its slopes, its intercept and its variance.  A median's gradient goes to a distance d_ij with i < j, and not
 * to d_ji; the two axes of a linear head are one. */
static bool ordered(const char *op, const char *set, char letter)
{
    static const struct {
        const char *letters, *op, *set;
    } by_order[] = {
        {"T", "gate.gshard", "capacity"},       {"T", "layer.capacity", ""},       {"T", "layer.dispatch", ""},
        {"T", "balance.global", "accumulated"}, {"n", "similarity.", "detach=no"}, {"dh", "simsmoe.head", "linear"},
        {"N", "convergence.sample", ""},        {"d", "convergence.voronoi", ""},
    };
    for (size_t i = 0; i < sizeof by_order / sizeof *by_order; i++)
        if (strchr(by_order[i].letters, letter) && strstr(op, by_order[i].op) && strstr(set, by_order[i].set))
            return true;
    return false;
}

START_TEST(nothing_has_an_order_of_its_own)
{
    for (size_t i = 0; i < EVERY + BESIDES; i += one_in()) {
        const char *op = i < EVERY ? every[i].op : besides[i - EVERY].op;
        const char *dims = i < EVERY ? every[i].dims : besides[i - EVERY].dims;
        const char *set = i < EVERY ? every[i].set : besides[i - EVERY].set;
        for (const char *letter = "TnNSMdhHgmcpq"; *letter; letter++)
            if (has_letter(op_find(op), *letter) && !ordered(op, set, *letter))
                no_place_is_special(op, dims, set, *letter, "bf16");
    }
}
END_TEST

static void is_small(const char *set, const char *what, const char *name, const twin_tensor *y)
{
    double most = 0;
    for (size_t e = 0; e < y->count; e++) most = fmax(most, fabs(y->hi[e]));
    for (size_t e = 0; e < y->count; e++)
        ck_assert_msg(y->rad[e] <= 0x1p-16 * fmax(most, 1), "%s (%s) in 40 digits: %s%s[%zu] is %g +- %g", c->op->id,
                      set, what, name, e, y->hi[e], y->rad[e]);
}

/* Where there are several right ways to a number the bound holds all of them: in 40 digits they are the same number, but for what
 * is ill conditioned. */
START_TEST(all_ways_lead_to_one_number)
{
    for (size_t i = 0; i < EVERY + BESIDES; i += one_in()) {
        const char *set = i < EVERY ? every[i].set : besides[i - EVERY].set;
        make(i < EVERY ? every[i].op : besides[i - EVERY].op, i < EVERY ? every[i].dims : besides[i - EVERY].dims, set);
        if (strcmp(c->op->id, "convergence.distance") != 0) { /* an integral is known to 2^-40 at best */
            ck_assert_msg(twin_run(c, &fine, NULL, 160, &r, err, sizeof err) == 0, "%s", err);
            for (size_t k = 0; c->op->out[k].name; k++) is_small(set, "", c->op->out[k].name, &r.out[k]);
            for (size_t k = 0; c->op->in[k].name; k++) is_small(set, "d_", c->op->in[k].name, &r.grad[k]);
        }
        done();
    }
}
END_TEST

/* Is the name one of these words? */
static bool is_word(const char *words, const char *name)
{
    const size_t n = strlen(name);
    for (const char *at = words; (at = strstr(at, name)); at += n)
        if ((at == words || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0')) return true;
    return false;
}

/* In other units, a power of two of them, everything is as it was, and so are the bounds: `input` times 16 makes `name` and its bound
 * 16^degree times as large. */
START_TEST(bounds_know_no_unit)
{
    static const struct {
        const char *op, *dims, *set, *input, *name;
        int degree;
    } row[] = {
        {"numerics.norm", "T=3,d=4", "", "x", "norm", 1},
        {"gate.linear", "T=3,d=4,N=5", "", "br x", "r", 1},
        {"gate.xmoe", "T=4,d=4,c=3,N=5", "k=2,norm=1.5", "x", "s", 0},
        {"gate.xmoe", "T=4,d=4,c=3,N=5", "k=2,norm=1.5", "e", "weight", 0},
        {"expert.relu", "T=3,d=4,h=5", "", "w2 b2", "y", 1},
        {"expert.relu", "T=3,d=4,h=5", "", "w1 b1 b2", "y", 1},
        {"layer.collapse", "T=15,d=4", "experts=3", "x", "rc", 0},
        {"layer.combine", "T=4,d=3,K=2,N=4,C=3", "overflow=pass", "o x", "y", 1},
        {"balance.importance", "T=6,N=4", "", "g", "loss", 0},
        {"compete.response", "T=3,N=2,d=4", "kind=norm", "o", "s", 1},
        {"compete.response", "T=3,N=2,d=4", "kind=relu", "o", "s", 1},
        {"compete.diversity", "T=3,K=3,d=4", "", "o", "loss", 0},
        {"compete.mix", "T=3,N=4,d=3", "kind=norm,share=0.25", "o r", "s", 1},
        {"similarity.kernel", "n=5,p=3", "centre=yes", "x", "gram", 2},
        {"similarity.kernel", "n=6,p=3", "kernel=rbf,bandwidth=median", "x", "gram", 0},
        {"similarity.kernel", "n=6,p=3", "kernel=rbf,bandwidth=median", "x", "bandwidth", 2},
        {"similarity.hsic", "n=6,p=3,q=2", "", "x", "hsic", 2},
        {"similarity.hsic", "n=6,p=3,q=2", "estimator=unbiased", "y", "hsic", 2},
        {"similarity.cka", "n=6,p=3,q=2", "", "x", "cka", 0},
        {"similarity.cka", "n=6,p=3,q=2", "estimator=debiased", "y", "cka", 0},
        {"similarity.cosine", "n=5,d=3", "", "y", "value", 0},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        double value[64], radius_of[64];
        make(row[i].op, row[i].dims, row[i].set);
        run("f32", NULL);
        const twin_tensor *y = &r.out[tensor(c->op->out, row[i].name)];
        const size_t n = y->count;
        ck_assert(n > 0 && n <= 64);
        memcpy(value, y->hi, n * sizeof *value);
        memcpy(radius_of, y->rad, n * sizeof *value);
        twin_result_clear(&r);
        for (size_t k = 0; c->op->in[k].name; k++)
            if (is_word(row[i].input, c->op->in[k].name))
                for (size_t e = 0; e < c->in[k].count; e++) c->in[k].f64[e] *= 16;
        run("f32", NULL);
        const double times = ldexp(1, 4 * row[i].degree);
        for (size_t e = 0; e < n; e++) {
            ck_assert_msg(fabs(y->hi[e] - times * value[e]) <=
                              1e-6 * times * radius_of[e] + 1e-13 * times * fabs(value[e]),
                          "%s (%s): %s[%zu] is %.17g, and %.17g at 16 times %s", row[i].op, row[i].set, row[i].name, e,
                          value[e], y->hi[e], row[i].input);
            ck_assert_msg(fabs(y->rad[e] - times * radius_of[e]) <= 1e-6 * times * radius_of[e],
                          "%s (%s): the bound of %s[%zu] is %.17g, and %.17g at 16 times %s", row[i].op, row[i].set,
                          row[i].name, e, radius_of[e], y->rad[e], row[i].input);
        }
        done();
    }
}
END_TEST

/* Of one expert nothing is left to choose: its probability is 1, whatever its score is, its cross entropy and its entropy are 0,
 * but for roundings of roundings. */
START_TEST(one_expert_leaves_nothing_to_err)
{
    static const struct {
        const char *op, *dims, *set, *name;
        double value;
    } row[] = {
        {"numerics.softmax", "T=2,N=1", "", "p", 1},
        {"gate.entropy", "T=2,N=1", "", "entropy", 0},
        {"gate.stable.distill", "T=2,V=4,m=3,N=1", "", "loss", 0},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        make(row[i].op, row[i].dims, row[i].set);
        level("table", 0); /* a score of 0, which is its own logsumexp */
        run("bf16", NULL);
        const twin_tensor *y = &r.out[tensor(c->op->out, row[i].name)];
        for (size_t e = 0; e < y->count; e++)
            ck_assert_msg(fabs(y->hi[e] - row[i].value) <= y->rad[e] && y->rad[e] < 0x1p-20, "%s: %s is %g +- %g",
                          row[i].op, row[i].name, y->hi[e], y->rad[e]);
        done();
    }
}
END_TEST

/* A radius below 0 is nobody's meaning. */
START_TEST(a_negative_radius_is_a_mistake)
{
    arb_t v;
    arb_init(v);
    tape_grow(v, 0x1p-10);
    ck_assert(radius(v) >= 0x1p-10 && radius(v) < 0x1.001p-10);
    arb_zero(v);
    tape_grow(v, 1 + 0x1p-45); /* a radius keeps 30 bits, and is never less than what it is to be */
    ck_assert(radius(v) >= 1 + 0x1p-45);
    tape_grow(v, -0x1p-10);
}
END_TEST

/* --- variants ---------------------------------------------------------------------------------------------------- */

/* Cases on which a variant shows; a variant has to show on one of them. */
static const struct {
    const char *op, *dims, *set;
} crafted[] = {
    {"numerics.softplus", "n=6", ""},
    {"numerics.gelu", "n=6", "approximate=none"},
    {"numerics.gelu", "n=6", "approximate=tanh"},
    {"expert.relu", "T=3,d=4,h=5", ""},
    {"expert.gelu", "T=3,d=4,h=5", "approximate=none"},
    {"expert.gelu", "T=3,d=4,h=5", "approximate=tanh"},
    {"expert.swiglu", "T=3,d=4,h=5", ""},
    {"expert.keyvalue", "T=3,d=4,h=4", ""},
    {"gate.linear", "T=3,d=4,N=5", ""},
    {"gate.weights", "T=4,N=5", "k=3,order=topk-softmax"},
    {"gate.weights", "T=4,N=5", "k=3,order=softmax-topk"},
    {"gate.jitter", "T=3,d=4,N=5", ""},
    {"gate.noisy", "T=4,d=4,N=5", "k=2,epsilon=0"},
    {"gate.noisy", "T=4,d=4,N=5", "k=2,epsilon=0.125"},
    {"gate.sigmoid", "T=4,N=5", "k=3"},
    {"gate.sigmoid", "T=4,N=5", "k=3,normalise=no"},
    {"gate.dropout", "T=4,d=3,N=5", "k=3"},
    {"gate.dropout.schedule", "n=6", "k_min=1,k_max=10,steps=2"},
    {"gate.dropout.schedule", "n=6", "k_min=1,k_max=10,steps=4"},
    {"gate.gshard", "T=40,N=4", ""},
    {"gate.gshard", "T=12,N=4", "capacity=3"},
    {"gate.gshard", "T=12,N=4", "capacity=3,policy=all"},
    {"gate.hyper", "T=3,d=4,N=3,m=8,g=8", ""},
    {"gate.xmoe", "T=4,d=4,c=3,N=5", "k=2,norm=1.5"},
    {"gate.xmoe", "T=4,d=4,c=3,N=5", "k=2,gate=sigmoid,input=raw"},
    {"gate.perturbed", "T=3,d=4,N=5", "tau2=0.5"},
    {"gate.stable", "T=4,d=3,N=4", ""},
    {"gate.stable", "T=4,d=3,N=4", "stage=2"},
    {"gate.stable.distill", "T=9,V=4,m=3,N=4", ""},
    {"gate.deepseek", "T=6,d=3,N=8", "k=2"},
    {"gate.deepseek", "T=6,d=3,N=8", "k=2,groups=4,topk_groups=2,normalise=no"},
    {"gate.entropy", "T=3,N=5", ""},
    {"layer.smoe", "T=5,d=3,N=4,h=4", "k=2,order=topk-softmax,activation=gelu"},
    {"layer.smoe", "T=5,d=3,N=4,h=4", "k=2,order=softmax-topk"},
    {"layer.capacity", "T=9,N=4", "k=2,factor=0.375"},
    {"layer.capacity", "T=9,N=4", "k=2,factor=0.375,round=floor,order=softmax-topk"},
    {"layer.capacity", "T=9,N=4", "k=2,factor=0.25,priority=token"},
    {"layer.capacity", "T=16,N=4", "k=2,factor=0.25,policy=probability"},
    {"layer.capacity", "T=9,N=4", "k=2,factor=0.25,minimum=3"},
    {"layer.dispatch", "T=9,d=3,K=2", "experts=4,capacity=3"},
    {"layer.dispatch", "T=9,d=3,K=2", "experts=4,capacity=3,priority=token"},
    {"layer.dispatch", "T=9,d=3,K=2", "experts=4,capacity=6"},
    {"layer.shared", "T=5,d=3,N=4,h=4,M=2", "k=2,activation=gelu"},
    {"layer.shared", "T=5,d=3,N=4,h=4,M=1", "k=2,form=half,order=softmax-topk"},
    {"layer.load", "T=3,N=4", "k=2"},
    {"layer.collapse", "T=15,d=4", "experts=3"},
    {"layer.collapse", "T=16,d=4", "experts=3"},
    {"layer.fluctuation", "T=6", ""},
    {"layer.change", "T=6,K=2", ""},
    {"layer.change", "T=6,K=2", "measure=jaccard"},
    {"layer.combine", "T=4,d=3,K=2,N=4,C=3", ""},
    {"layer.combine", "T=4,d=3,K=1,N=4,C=3", ""},
    {"layer.combine", "T=4,d=3,K=1,N=4,C=3", "overflow=pass"},
    {"layer.combine", "T=4,d=3,K=2,N=4,C=3", "overflow=pass"},
    {"balance.switch", "T=6,N=4", "k=2,count=all"},
    {"balance.switch", "T=6,N=4", "k=2,count=first"},
    {"balance.switch", "T=6,N=4", "k=2,scope=layer,sequence=3"},
    {"balance.switch", "T=6,N=4", "k=2,scope=layer,sequence=3,reduce=sum,divide=tokens"},
    {"balance.switch", "T=12,N=4", "k=1,capacity=1"},
    {"balance.zloss", "T=6,N=4", ""},
    {"balance.importance", "T=6,N=4", ""},
    {"balance.importance", "T=6,N=4", "variance=unbiased,epsilon=0.25"},
    {"balance.load", "T=5,N=4", "k=2"},
    {"balance.load", "T=5,N=4", "k=2,variance=unbiased,epsilon=0.25,detach=yes"},
    {"balance.gshard", "T=6,N=4", "form=scaled"},
    {"balance.gshard", "T=6,N=4", "count=after,capacity=1"},
    {"balance.xmoe", "T=6,N=4", ""},
    {"balance.stable", "T=6,N=4", "alpha=0.5"},
    {"balance.entropy", "T=6,N=4", ""},
    {"balance.entropy", "T=6,N=4", "scope=sequence,sequence=2"},
    {"balance.deepseek", "T=12,N=4", "k=2,sequence=3,alpha=0.25"},
    {"balance.deepseek", "T=12,N=4", "k=2"},
    {"balance.deepseek.bias", "N=5", ""},
    {"balance.global", "T=6,N=4", "k=2,micro=2"},
    {"balance.global", "T=6,N=4", "k=2,micro=2,form=micro"},
    {"compete.response", "T=3,N=2,d=4", "kind=softplus"},
    {"compete.response", "T=3,N=2,d=4", "kind=norm"},
    {"compete.route", "T=3,N=4,d=3", "k=2,version=2"},
    {"compete.route", "T=3,N=4,d=3", "k=2,version=1"},
    {"compete.distill", "T=3,N=4", "k=2,detach=yes"},
    {"compete.distill", "T=3,N=4", "k=2,version=1"},
    {"compete.distill", "T=3,N=4", "k=2,version=1,loss=kl"},
    {"compete.distill", "T=3,N=4", "k=2,version=1,loss=kl-clamped,detach=no"},
    {"compete.distill", "T=3,N=4", "k=2,terms=all"},
    {"compete.balance", "T=6,N=4", "k=2"},
    {"compete.balance", "T=6,N=4", "k=2,count=first"},
    {"compete.balance", "T=6,N=4", "k=2,scope=sequence,sequence=2"},
    {"compete.mix", "T=3,N=4,d=3", "share=0.25"},
    {"compete.mix", "T=3,N=4,d=3", "share=0.25,kind=softplus"},
    {"compete.lambda", "n=8", ""},
    {"compete.schedule", "L=4,S=16", "rate=0.5,cap=1,warm_up=0.25"},
    {"compete.schedule", "L=4,S=16", "rate=0,cap=2,warm_up=0"}, /* half of the draws are below 0 */
    {"compete.schedule", "L=8,S=16", "rate=0.5,cap=3,warm_up=0"},
    {"compete.schedule", "L=8,S=16", "rate=0.5,cap=3,warm_up=0,collision=published"},
    {"compete.step", "T=6,d=3,N=4,h=4", "k=2,detach=yes,mean=pairs,activation=gelu,c_zloss=1"},
    {"compete.step", "T=6,d=3,N=4,h=4", "k=2,detach=no,mean=square,count=first,mix=0.25"},
    {"compete.step", "T=6,d=3,N=4,h=4", "k=2,version=1"},
    {"compete.step", "T=6,d=3,N=4,h=4", "k=2,compete=no,order=topk-softmax,activation=gelu"},
    {"compete.step", "T=6,d=3,N=4,h=4", "k=2,compete=no,order=softmax-topk"},
    {"compete.distill", "T=3,N=4", "k=2,detach=no"},
    {"compete.diversity", "T=3,K=3,d=4", "mean=pairs"},
    {"compete.diversity", "T=3,K=3,d=4", "mean=square"},
    {"compete.layer", "T=6,d=3,N=4,h=4", "k=2,detach=yes,mean=pairs,activation=gelu"},
    {"compete.layer", "T=6,d=3,N=4,h=4", "k=2,detach=no,mean=square,count=first"},
    {"compete.layer", "T=6,d=3,N=4,h=4", "k=2,compete=no,order=topk-softmax,activation=gelu"},
    {"compete.layer", "T=6,d=3,N=4,h=4", "k=2,compete=no,order=softmax-topk"},
    {"simsmoe.head", "n=3,d=4,h=4,p=2", ""},
    {"simsmoe.pairs", "T=10,N=5,K=2", "frequency=1.75,absent=reset"},
    {"simsmoe.pairs", "T=10,N=5,K=3", "frequency=1.75,unit=fraction"},
    {"simsmoe.loss", SHARING, "threshold=0,activation=gelu"},
    {"simsmoe.loss", SHARING, "threshold=0.9"},
    {"simsmoe.loss", SHARING, "threshold=1"},
    {"simsmoe.loss", SHARING, "threshold=0.9,reduce=mean,estimator=unbiased,detach_x=no"},
    {"simsmoe.loss", "T=12,d=3,N=4,K=3,h=4,g=4,p=3", "threshold=0,estimator=unbiased"},
    {"simsmoe.loss", "T=6,d=3,N=3,K=2,h=4,g=4,p=3", "threshold=0,kernel=rbf"},
    {"simsmoe.loss", "T=24,d=3,N=3,K=2,h=8,g=8,p=4", "threshold=-1,estimator=unbiased"},
    {"simsmoe.loss", SHARING, "threshold=0,kernel=rbf,bandwidth=median"},
    {"simsmoe.loss", "T=8,d=3,N=3,K=2,h=4,g=3,p=3",
     "threshold=0,kind=linear,kernel=rbf,bandwidth=median,diagonal=without,middle=lower,median=square,detach=no"},
    {"simsmoe.layer", "T=12,d=3,N=4,h=4,g=4,p=3", "k=2,frequency=1,threshold=0.5,activation=gelu"},
    {"simsmoe.layer", "T=12,d=3,N=4,h=4,g=3,p=3", "k=3,frequency=0.25,threshold=0.9,kind=linear,unit=fraction"},
    {"simsmoe.layer", "T=12,d=3,N=4,h=4,g=4,p=3",
     "k=2,frequency=1,threshold=-1,order=softmax-topk,absent=reset,estimator=unbiased,detach_x=no"},
    {"simsmoe.layer", "T=12,d=3,N=4,h=4,g=4,p=3", "k=2,frequency=1,threshold=0.5,kernel=rbf,bandwidth=median"},
    {"simsmoe.layer", "T=12,d=3,N=4,h=4,g=4,p=3", "k=2,frequency=1,threshold=0.5,kernel=rbf"},
    {"simsmoe.step", "T=12,d=3,N=4,h=4,g=4,p=3", "k=2,frequency=1,threshold=0.5,activation=gelu"},
    {"simsmoe.step", "T=12,d=3,N=4,h=4,g=3,p=3", "k=3,frequency=0.25,threshold=0.9,kind=linear,unit=fraction"},
    {"simsmoe.step", "T=12,d=3,N=4,h=4,g=4,p=3",
     "k=2,frequency=1,threshold=-1,order=softmax-topk,absent=reset,estimator=unbiased,detach_x=no"},
    {"simsmoe.step", "T=12,d=3,N=4,h=4,g=4,p=3", "k=2,frequency=1,threshold=0.5,kernel=rbf,bandwidth=median"},
    {"simsmoe.step", "T=12,d=3,N=4,h=4,g=4,p=3", "k=2,frequency=1,threshold=0.5,kernel=rbf"},
    {"similarity.kernel", "n=5,p=5", ""},
    {"similarity.kernel", "n=6,p=3", "centre=yes"},
    {"similarity.kernel", "n=8,p=3", "kernel=rbf"},
    {"similarity.kernel", "n=8,p=3", "kernel=rbf,bandwidth=median"},
    {"similarity.kernel", "n=8,p=3", "kernel=rbf,bandwidth=median,median=square,sigma=0.25"},
    {"similarity.kernel", "n=8,p=3", "kernel=rbf,bandwidth=median,middle=lower,detach=no,diagonal=without"},
    {"similarity.kernel", "n=8,p=3", "kernel=rbf,bandwidth=median,detach=no,diagonal=without,median=square"},
    {"similarity.hsic", "n=6,p=5,q=5", ""},
    {"similarity.hsic", "n=8,p=3,q=2", "estimator=unbiased"},
    {"similarity.hsic", "n=8,p=3,q=2", "kernel=rbf"},
    {"similarity.hsic", "n=8,p=3,q=2", "divide=none,kernel=rbf,bandwidth=median"},
    {"similarity.hsic", "n=8,p=3,q=2", "kernel=rbf,bandwidth=median,middle=lower,detach=no,diagonal=without"},
    {"similarity.hsic", "n=8,p=3,q=2", "kernel=rbf,bandwidth=median,detach=no,diagonal=without,median=square"},
    {"similarity.cka", "n=6,p=5,q=5", ""},
    {"similarity.cka", "n=3,p=3,q=2", ""},
    {"similarity.cka", "n=8,p=3,q=2", "estimator=unbiased"},
    {"similarity.cka", "n=8,p=3,q=2", "kernel=rbf"},
    {"similarity.cka", "n=8,p=3,q=2", "kernel=rbf,bandwidth=median"},
    {"similarity.cka", "n=8,p=3,q=2", "kernel=rbf,bandwidth=median,middle=lower,detach=no,diagonal=without"},
    {"similarity.cka", "n=8,p=3,q=2", "kernel=rbf,bandwidth=median,detach=no,diagonal=without,median=square"},
    {"similarity.minibatch", "n=16,p=5,q=5", "batch=8"},
    {"similarity.minibatch", "n=16,p=3,q=2", "batch=8,kernel=rbf"},
    {"similarity.minibatch", "n=16,p=3,q=2", "batch=8,kernel=rbf,bandwidth=median"},
    {"similarity.minibatch", "n=16,p=3,q=2", "batch=8,kernel=rbf,bandwidth=median,detach=no,middle=lower"},
    {"similarity.minibatch", "n=16,p=3,q=2", "batch=8,kernel=rbf,bandwidth=median,diagonal=without,median=square"},
    {"similarity.cosine", "n=5,d=3", ""},
    {"similarity.cosine", "n=5,d=3", "form=absolute"},
    {"convergence.density", "n=6,N=3,d=2", "k=3"},
    {"convergence.density", "n=6,N=3,d=2", "gate=softplus,free=no,k=2"},
    {"convergence.density.hidden", "n=6,N=3,d=2,H=2", "k=3"},
    {"convergence.density.hidden", "n=6,N=3,d=2,H=2", "gate=softplus,free=no,k=2"},
    {"convergence.loglik", "n=6,N=3,d=2", "k=3"},
    {"convergence.loglik", "n=6,N=3,d=2", "gate=softplus,free=no,k=2"},
    {"convergence.loglik.hidden", "n=6,N=3,d=2,H=2", "k=3"},
    {"convergence.loglik.hidden", "n=6,N=3,d=2,H=2", "gate=softplus,free=no,k=2"},
    {"convergence.hvp", "n=6,N=3,d=2", "gate=softplus,k=3"},
    {"convergence.sample", "n=6,N=3,d=2", ""},
    {"convergence.distance", "n=4,N=2,S=2,d=1", ""},
    {"convergence.voronoi", "N=2,S=3,d=3", "powers=fixed"},
    {"convergence.em", "n=8,N=2,d=2", ""},
    {"convergence.oracle", "n=12,d=1", "experts=2"},
};

static bool apart(const twin_tensor *a, const twin_tensor *b)
{
    for (size_t e = 0; e < a->count && e < b->count; e++)
        if (fabs((a->hi[e] - b->hi[e]) + (a->lo[e] - b->lo[e])) > a->rad[e] + b->rad[e]) return true;
    return a->count != b->count;
}

static bool shows(const char *variant)
{
    twin_result right;
    bool seen = false;
    run(NULL, NULL);
    right = r;
    run(NULL, variant);
    for (size_t i = 0; i < OP_TENSORS; i++)
        seen |=
            apart(&right.out[i], &r.out[i]) || apart(&right.grad[i], &r.grad[i]) || apart(&right.score[i], &r.score[i]);
    twin_result_clear(&right);
    twin_result_clear(&r);
    return seen;
}

/* Outputs of experts beyond 20, where PyTorch's softplus gives up. */
static void reach_out(void)
{
    for (size_t i = 0; c->op->in[i].name; i++)
        if (strcmp(c->op->in[i].name, "b2") == 0 || strcmp(c->op->in[i].name, "o") == 0 ||
            strcmp(c->op->id, "numerics.softplus") == 0)
            for (size_t e = 0; e < c->in[i].count; e++) c->in[i].f64[e] += 24;
}

/* Inputs that a variant needs to show itself. */
static void provoke(const twin_variant *v)
{
    if (strcmp(v->name, "SoftplusThreshold") == 0) {
        reach_out();
        if (strcmp(v->op, "gate.noisy") == 0) {
            level("x", 3);
            level("wn", 2);
        }
        decide();
    }
    if (strcmp(v->name, "ReluKink") == 0) { /* nothing goes in, and no bias */
        level(strcmp(v->op, "gate.hyper") == 0 ? "e" : "x", 0);
        level("b1", 0);
        level("o", 0);
        level("bh", 0);
    }
    if (strcmp(v->name, "PairsEdge") == 0 || strcmp(v->name, "PairsAbsent") == 0) { /* all tokens with one pair */
        level("x", 0);
        decide();
        level("counter", op_real(c, "frequency") + (strcmp(v->name, "PairsAbsent") == 0));
    }
    if (strcmp(v->name, "ThresholdEdge") == 0) { /* experts that are all alike: a CKA of 1 */
        level("w1", 0.5);
        level("b1", 4);
        level("w2", 0.5);
    }
    if (strcmp(v->name, "KlClamp") == 0) { /* a winner far behind the other */
        const op_value *s = &c->in[tensor(c->op->in, "s")];
        for (size_t e = 0; e < s->count; e++) s->f64[e] *= 64;
    }
    if (strcmp(v->name, "ScheduleEdge") == 0) level("u", op_real(c, "rate"));
    if (strcmp(v->name, "GroupMaskZero") == 0) {
        level("bias", -2);
        decide();
    }
    if (strcmp(v->name, "BiasSignZero") == 0) level("load", 2);
    /* Not related: one bit of the sample's number, and another. */
    if (strcmp(v->name, "NegativeHsicRoot") == 0 && strncmp(v->op, "similarity.", 11) == 0)
        for (size_t k = 0; k < 2; k++)
            for (size_t e = 0; e < c->in[k].count; e++) c->in[k].f64[e] = e / c->in[k].dim[1] / (k + 1) % 2 ? 1 : -1;
    if (strncmp(v->name, "GramExpansion", 13) == 0) /* one feature far from 0 */
        for (size_t k = 0; c->op->in[k].name; k++)
            for (size_t e = 0; e < c->in[k].count; e += c->in[k].dim[1])
                c->in[k].f64[e] = strstr(v->name, "f64") ? 0x1p27 : 0x1p13;
    if (strcmp(v->name, "CosineZeroRows") == 0)
        for (size_t k = 0; k < c->in[0].dim[1]; k++) c->in[0].f64[k] = 0;
    if (strncmp(v->name, "LblPadding", 10) == 0)
        for (size_t t = 0; t < op_dim(c, 'T'); t += 3) op_in(c, "mask")[t] = 0;
}

START_TEST(every_variant_departs_from_its_equation)
{
    for (const twin_variant *v = twin_variants; v->op; v++) {
        bool seen = (size_t)(v - twin_variants) % one_in() != 0;
        ck_assert_msg(v->formula && v->effect && v->met && *v->formula && *v->effect && *v->met, "%s", v->name);
        ck_assert_msg(strncmp(v->formula, v->op, strlen(v->op)) == 0, "%s: its formula starts with the operation",
                      v->name);
        for (size_t i = 0; i < sizeof crafted / sizeof *crafted && !seen; i++) {
            if (strcmp(crafted[i].op, v->op) != 0) continue;
            make(crafted[i].op, crafted[i].dims, crafted[i].set);
            provoke(v);
            seen = shows(v->name);
            done();
        }
        ck_assert_msg(seen, "%s of %s equals the equation on every case", v->name, v->op);
    }
}
END_TEST

/* Many variants are the equation of other numbers: of a parameter's other value, or of an input that is constant.  `with` says
 * which, "order=topk-softmax" or "b2:=0", several of them with a space between; "form=~" is the other one of two values.  `when`:
 * words that the case's sizes or parameters must have, or with a "!" must not.  Where an operation lacks the parameter or the input the rule says
 * nothing. */
static const struct {
    const char *variant, *op, *when, *with;
} other_numbers[] = {
    {"GeluTanh", NULL, NULL, "approximate=tanh"},
    {"GeluErf", NULL, NULL, "approximate=none"},
    {"MissingBias", "expert.relu", NULL, "b2:=0"},
    {"MissingBias", "expert.gelu", NULL, "b2:=0"},
    {"MissingBias", "gate.linear", NULL, "br:=0"},
    {"MissingBias", "gate.jitter", NULL, "br:=0"},
    {"MissingBias", "layer.smoe", NULL, "b2:=0"},
    {"MissingBias", "layer.shared", NULL, "b2:=0 bs2:=0"},
    {"MissingBias", "compete.layer", NULL, "b2:=0"},
    {"MissingBias", "compete.step", NULL, "b2:=0"},
    {"MissingBias", "simsmoe.loss", NULL, "b2:=0"},
    {"MissingBias", "simsmoe.layer", NULL, "b2:=0"},
    {"MissingBias", "simsmoe.step", NULL, "b2:=0"},
    {"NormTopK/topk-softmax", NULL, NULL, "order=topk-softmax"},
    {"NormTopK/softmax-topk", NULL, NULL, "order=softmax-topk"},
    {"NormTopK/softmax-topk-renorm", NULL, NULL, "order=softmax-topk-renorm"},
    {"JitterIgnored", NULL, NULL, "noise:=1"},
    {"NoiseIgnored", NULL, NULL, "noise:=0"},
    {"NoisyEpsilon", NULL, "!epsilon=0.125", "epsilon=0.01"},
    {"NoisyEpsilonMissing", NULL, NULL, "epsilon=0"},
    {"SigmoidUnnormalised", NULL, NULL, "normalise=no"},
    {"SigmoidNormalised", NULL, NULL, "normalise=yes"},
    {"ScheduleRound", NULL, NULL, "round=~"},
    {"CapacityDrop", "gate.gshard", NULL, "capacity=0"},
    {"SecondAlways", NULL, NULL, "policy=all"},
    {"GshardRenorm", NULL, NULL, "normalise=~"},
    {"UnnormalisedCosine", "gate.xmoe", NULL, "input=raw"},
    {"NormalisedInput", NULL, NULL, "input=normalised"},
    {"MissingNorm", NULL, NULL, "norm=1"},
    {"MissingTemperature", NULL, NULL, "tau:=1"},
    {"XmoeSigmoidGate", NULL, NULL, "gate=sigmoid"},
    {"XmoeSoftmaxGate", NULL, NULL, "gate=softmax"},
    {"MissingDamping", NULL, NULL, "tau1=0 tau2=0"},
    {"SwappedTau", NULL, "tau2=0.5", "tau1=0.5 tau2=0.125"},
    {"StageConfused", NULL, "stage=2", "stage=1"},
    {"DistillReduce", NULL, NULL, "reduce=~"},
    {"IgnoredBias", NULL, NULL, "bias:=0"},
    {"IgnoredGroups", NULL, NULL, "groups=1 topk_groups=1"},
    {"MissingScale", NULL, NULL, "route_scale=1"},
    {"CapacityDrop/token", NULL, NULL, "priority=token"},
    {"CapacityDrop/choice", NULL, NULL, "priority=choice"},
    {"CapacityDrop/probability", NULL, NULL, "policy=probability"},
    {"CapacityDrop/position", NULL, NULL, "policy=position"},
    {"CapacityDrop/none", NULL, NULL, "minimum=1000"},
    {"CapacityDrop/minimum", NULL, NULL, "minimum=0"},
    {"CapacityRound/floor", NULL, NULL, "round=floor"},
    {"CapacityRound/ceil", NULL, NULL, "round=ceil"},
    {"CapacityNoK", NULL, "k=2,factor=0.375", "factor=0.1875"},
    {"CapacityNoK", NULL, "k=2,factor=0.25", "factor=0.125"},
    {"OverflowZero", NULL, NULL, "overflow=zero"},
    {"OverflowPass", NULL, NULL, "overflow=pass"},
    {"SharedSum", NULL, NULL, "form=sum"},
    {"SharedHalf", NULL, NULL, "form=half"},
    {"SharedResidual", NULL, NULL, "form=residual"},
    {"ChangeSet", NULL, NULL, "measure=set"},
    {"ChangeJaccard", NULL, NULL, "measure=jaccard"},
    {"LblFirstChoiceOnly", NULL, NULL, "count=first"},
    {"LblCountAll", NULL, NULL, "count=all"},
    {"LblTopKNorm", NULL, NULL, "divide=tokens"},
    {"LblDivideByChoices", NULL, NULL, "divide=choices"},
    {"LblPerSequence", NULL, "T=6 !scope=sequence", "scope=sequence sequence=3"},
    {"LblPerSequence", NULL, "T=12 !scope=sequence", "scope=sequence sequence=6"},
    {"LblPerSequence", "balance.deepseek", "T=12 !sequence", "sequence=6"},
    {"LblCrossLayer", NULL, NULL, "scope=batch"},
    {"LblCrossLayer", "balance.deepseek", NULL, "sequence=0"},
    {"LblWholeBatch", NULL, NULL, "scope=batch"},
    {"LblLayerMean", NULL, NULL, "reduce=mean"},
    {"LblLayerSum", NULL, NULL, "reduce=sum"},
    {"LblPadding", NULL, NULL, "mask:=1"},
    {"LblAfterCapacity", "balance.switch", NULL, "capacity=0"},
    {"LblAfterCapacity", "balance.gshard", "count=after", "count=before capacity=0"},
    {"Cv2Variance", NULL, NULL, "variance=unbiased"},
    {"Cv2Population", NULL, NULL, "variance=population"},
    {"CvEpsilon", "balance.importance", "!epsilon", "epsilon=1e-10"},
    {"CvEpsilon", "balance.load", "!epsilon", "epsilon=1e-10"},
    {"CvEpsilonMissing", NULL, NULL, "epsilon=0"},
    {"ThresholdDetached", NULL, NULL, "detach=yes"},
    {"ThresholdTrained", NULL, NULL, "detach=no"},
    {"GShardScale", NULL, NULL, "form=~"},
    {"XmoeCount", NULL, NULL, "count=~"},
    {"XmoeTemperature", NULL, NULL, "tau0=1"},
    {"CoefficientLeftOut", NULL, NULL, "alpha=1"},
    {"EntropyOfTokens", NULL, NULL, "scope=sequence sequence=1"},
    {"GlobalMicro", NULL, NULL, "form=micro"},
    {"GlobalAccumulated", NULL, NULL, "form=accumulated"},
    {"GlobalWhole", NULL, NULL, "form=global"},
    {"ResponseNorm", NULL, NULL, "kind=norm"},
    {"ResponseNorm", NULL, NULL, "response=norm"},
    {"ResponseSoftplus", NULL, NULL, "kind=softplus"},
    {"ResponseSoftplus", NULL, NULL, "response=softplus"},
    {"WeightsSoftmaxScores", NULL, NULL, "weights=softmax"},
    {"CompeteNormalisedWeights", NULL, NULL, "weights=ratio"},
    {"TargetNotDetached", NULL, NULL, "detach=no"},
    {"TargetDetached", NULL, NULL, "detach=yes"},
    {"DistillNoTheta", NULL, NULL, "theta=1"},
    {"DistillNoWinners", NULL, NULL, "theta=0"},
    {"DistillBoth", NULL, NULL, "terms=both"},
    {"MseForKl", NULL, NULL, "loss=mse"},
    {"DiversitySquare", NULL, NULL, "mean=square"},
    {"DiversityPairs", NULL, NULL, "mean=pairs"},
    {"MixSwapped", NULL, "share=0.25", "share=0.75"},
    {"MixSwapped", NULL, "mix=0.25", "mix=0.75"},
    {"MixNone", NULL, NULL, "share=0"},
    {"MixNone", NULL, NULL, "mix=0"},
    {"ScheduleNoCap", NULL, NULL, "cap=1000"},
    {"ScheduleWarmUp", NULL, NULL, "warm_up=0"},
    {"ScheduleCollision", NULL, NULL, "collision=published"},
    {"ScheduleMended", NULL, NULL, "collision=mended"},
    {"MissingCoefficient", "compete.layer", NULL, "c_distill=1 c_diversity=1 c_balance=1 c_zloss=1"},
    {"MissingCoefficient", "compete.step", NULL, "c_task=1 c_distill=1 c_diversity=1 c_balance=1 c_zloss=1"},
    {"MissingCoefficient", "simsmoe.layer", NULL, "c_balance=1 c_similarity=1"},
    {"MissingCoefficient", "simsmoe.step", NULL, "c_balance=1 c_similarity=1 c_task=1"},
    {"RbfAbsoluteSigma", NULL, NULL, "bandwidth=absolute"},
    {"RbfFractionSigma", NULL, NULL, "bandwidth=median"},
    {"MedianRule/with", NULL, NULL, "diagonal=with"},
    {"MedianRule/without", NULL, NULL, "diagonal=without"},
    {"MedianRule/mean", NULL, NULL, "middle=mean"},
    {"MedianRule/lower", NULL, NULL, "middle=lower"},
    {"MedianRule/distance", NULL, NULL, "median=distance"},
    {"MedianRule/square", NULL, NULL, "median=square"},
    {"MedianUnscaled", NULL, "bandwidth=median", "sigma=1"},
    {"SigmaNotSquared", NULL, "sigma=0.25", "sigma=0.5"},
    {"BandwidthDetached", NULL, NULL, "detach=yes"},
    {"BandwidthTrained", NULL, NULL, "detach=no"},
    {"KernelLinear", NULL, NULL, "kernel=linear"},
    {"KernelRbf", NULL, NULL, "kernel=rbf"},
    {"CentredKernel", NULL, NULL, "centre=yes"},
    {"Uncentred", "similarity.kernel", NULL, "centre=no"},
    {"BiasedSmallN", NULL, NULL, "estimator=biased"},
    {"UnbiasedForBiased", NULL, NULL, "estimator=unbiased"},
    {"HsicDivisor/n-1", NULL, NULL, "divide=n-1"},
    {"HsicDivisor/n", NULL, NULL, "divide=n"},
    {"HsicDivisor/none", NULL, NULL, "divide=none"},
    {"MinibatchWhole", NULL, "n=16", "batch=16"},
    {"CosineSign", NULL, NULL, "form=~"},
    {"HeadBias", "simsmoe.head", NULL, "bh:=0 bp:=0"},
    {"HeadBias", "simsmoe.loss", NULL, "bh:=0 bp:=0"},
    {"HeadBias", "simsmoe.layer", NULL, "bh:=0 bp:=0"},
    {"HeadBias", "simsmoe.step", NULL, "bh:=0 bp:=0"},
    {"PairsUnit", NULL, NULL, "unit=~"},
    {"PairsEdge", NULL, NULL, "due=~"},
    {"PairsEdge", "simsmoe.pairs", NULL, "compare=~"},
    {"PairsAbsent", NULL, NULL, "absent=~"},
    {"ReluHardCoded", "simsmoe.loss", NULL, "activation=relu"},
    {"XNotDetached", NULL, NULL, "detach_x=no"},
    {"XDetached", NULL, NULL, "detach_x=yes"},
    {"PairsReduce", NULL, NULL, "reduce=~"},
    {"ThresholdMissing", NULL, NULL, "threshold=-1000"},
    {"ThresholdEdge", NULL, NULL, "compare=~"},
    {"FreeWeightDropped", "convergence.density", NULL, "free=~"},
    {"FreeWeightDropped", "convergence.density.hidden", NULL, "free=~"},
    {"FreeWeightDropped", "convergence.loglik", NULL, "free=~"},
    {"FreeWeightDropped", "convergence.loglik.hidden", NULL, "free=~"},
    {"FreeWeightDropped", "convergence.distance", NULL, "free=~"},
    {"FreeWeightDropped", "convergence.em", NULL, "free=~"},
};

/* One assignment of a rule into numbers and choices of the case, or, where it is an input's, into the case itself; false: there is no
 * such parameter or input. */
static bool assign(const char *name, const char *value, double *number, const char **choice)
{
    static char text[OP_PARAMS][32];
    const op_param *p = c->op->param;
    if (*value == ':') {
        size_t i = 0;
        while (c->op->in[i].name && strcmp(c->op->in[i].name, name) != 0) i++;
        if (c->op->in[i].name) level(name, strtod(value + 2, NULL));
        return c->op->in[i].name != NULL;
    }
    for (size_t k = 0; p && p[k].name; k++) {
        if (strcmp(p[k].name, name) != 0) continue;
        if (p[k].type != OP_CHOICE) {
            number[k] = strtod(value + 1, NULL);
        } else {
            char *to = text[k];
            snprintf(to, sizeof *text, "%s", value + 1);
            const char *second = strchr(p[k].values, '|') + 1;
            const size_t first = (size_t)(second - 1 - p[k].values);
            if (strcmp(to, "~") == 0) {
                if (strcmp(c->choice[k], second) == 0)
                    snprintf(to, sizeof *text, "%.*s", (int)first, p[k].values);
                else
                    snprintf(to, sizeof *text, "%s", second);
            }
            choice[k] = to;
        }
        return true;
    }
    return false;
}

/* All of a rule's assignments of one kind: "=" of parameters, ":" of inputs. */
static bool assign_all(char kind, const char *with, double *number, const char **choice)
{
    char words[160], *rest = words;
    bool known = true;
    snprintf(words, sizeof words, "%s", with);
    for (char *one; known && (one = strtok_r(rest, " ", &rest));) {
        char name[32];
        const size_t n = strcspn(one, ":=");
        snprintf(name, sizeof name, "%.*s", (int)n, one);
        if (one[n] == kind) known = assign(name, one + n, number, choice);
    }
    return known;
}

static void copy_value(op_value *to, const op_value *from)
{
    if (to->count != from->count) return;
    if (from->f64 && to->f64) memcpy(to->f64, from->f64, from->count * sizeof *from->f64);
    if (from->i64 && to->i64) memcpy(to->i64, from->i64, from->count * sizeof *from->i64);
}

/* The case with what the rule says, and the same inputs, cotangents and decisions otherwise; NULL: the rule says nothing of it. */
static op_case *with_other_numbers(const char *with)
{
    op_case *plain = c, *other;
    double number[OP_PARAMS];
    const char *choice[OP_PARAMS];
    memcpy(number, c->number, sizeof number);
    for (size_t k = 0; k < OP_PARAMS; k++) choice[k] = c->choice[k];
    if (!assign_all('=', with, number, choice)) return NULL;
    if (!(other = op_case_like(c, c->dim_size, number, choice, err, sizeof err))) return NULL;
    for (size_t i = 0; i < OP_TENSORS; i++) {
        copy_value(&other->in[i], &c->in[i]);
        copy_value(&other->cot[i], &c->cot[i]);
        copy_value(&other->out[i], &c->out[i]);
    }
    c = other;
    const bool known = assign_all(':', with, number, choice);
    c = plain;
    if (known) return other;
    op_case_free(other);
    return NULL;
}

/* A variant's outputs, scores and gradients against the equation's; a gradient that the rule has made meaningless is left out. */
static void agree(const twin_result *variant, const char *name, const char *with)
{
    for (size_t i = 0; i < OP_TENSORS; i++) {
        ck_assert_msg(!apart(&variant->out[i], &r.out[i]), "%s of %s: %s is not that of the equation with %s", name,
                      c->op->id, c->op->out[i].name, with);
        ck_assert_msg(!apart(&variant->score[i], &r.score[i]), "%s of %s: the scores of %s are not those of %s", name,
                      c->op->id, c->op->out[i].name, with);
    }
    for (size_t i = 0; c->op->in[i].name; i++) {
        char set_to[40];
        snprintf(set_to, sizeof set_to, "%s:=", c->op->in[i].name);
        const char *at = strstr(with, set_to);
        if (at && (at == with || at[-1] == ' ')) continue;
        ck_assert_msg(!apart(&variant->grad[i], &r.grad[i]),
                      "%s of %s: the gradient of %s is not that of the equation with %s", name, c->op->id,
                      c->op->in[i].name, with);
    }
}

/* Is a crafted case of this operation (NULL: of any; "balance.": of any of these), with these words and without those that have a "!"? */
static bool applies(const char *op, const char *when, size_t row)
{
    const char *dims = crafted[row].dims, *set = crafted[row].set;
    char words[64], *rest = words;
    const size_t n = op ? strlen(op) : 0;
    if (n > 0 && (strncmp(op, crafted[row].op, n) != 0 || (op[n - 1] != '.' && crafted[row].op[n]))) return false;
    snprintf(words, sizeof words, "%s", when ? when : "");
    for (char *one; (one = strtok_r(rest, " ", &rest));) {
        const char *word = one + (*one == '!');
        if ((strstr(dims, word) || strstr(set, word)) == (*one == '!')) return false;
    }
    return true;
}

START_TEST(a_variant_may_be_the_equation_of_other_numbers)
{
    for (size_t k = 0; k < sizeof other_numbers / sizeof *other_numbers; k += one_in()) {
        size_t tried = 0;
        for (const twin_variant *v = twin_variants; v->op; v++) {
            if (strcmp(v->name, other_numbers[k].variant) != 0) continue;
            for (size_t i = 0; i < sizeof crafted / sizeof *crafted; i++) {
                if (strcmp(crafted[i].op, v->op) != 0 || !applies(other_numbers[k].op, other_numbers[k].when, i))
                    continue;
                make(crafted[i].op, crafted[i].dims, crafted[i].set);
                provoke(v);
                op_case *plain = c, *other = with_other_numbers(other_numbers[k].with);
                if (other) {
                    run(NULL, v->name);
                    twin_result variant = r;
                    c = other;
                    run(NULL, NULL);
                    agree(&variant, v->name, other_numbers[k].with);
                    twin_result_clear(&variant);
                    twin_result_clear(&r);
                    op_case_free(other);
                    c = plain;
                    tried++;
                }
                op_case_free(c);
            }
        }
        ck_assert_msg(tried > 0, "no case for %s with %s", other_numbers[k].variant, other_numbers[k].with);
    }
}
END_TEST

/* Many variants are the equation times something.  `seed`: the outputs that have cotangents (NULL: all).  `out`, `grad`: what outputs and
 * gradients are multiplied by, "loss=2 y=?", "x=0 *=1/2", where "?" says nothing, and "*" is all that are not named.  Outputs that are
 * not named stay as they are; of such gradients nothing is said. */
static const struct {
    const char *variant, *op, *when, *seed, *out, *grad;
} multiples[] = {
#define LOSSES "loss task distill diversity balance zloss similarity z gram hsic cka value logp loglik"
    {"GradScale", NULL, NULL, LOSSES, "", "*=1/2"},
    {"GradScale", "layer.", NULL, "y", "", "*=1/2"},
    {"LblGrad", "balance.", NULL, "loss", "", "*=0"},
    {"LblGrad", "compete.balance", NULL, NULL, "", "*=0"},
    {"LblGrad", NULL, NULL, "balance", "", "*=0"},
    {"EntropySign", "balance.entropy", NULL, NULL, "loss=-1", "*=-1"},
    {"LoglikSum", NULL, "n=6", NULL, "loglik=6", "*=6"},
    {"TvNoHalf", NULL, NULL, NULL, "tv=2", ""},
    {"FrozenDetach", NULL, NULL, NULL, "", "x=0"},
    {"HyperDetach", NULL, NULL, NULL, "", "e=0 x=1"},
    {"NoiseGrad", NULL, NULL, "weight noisy", "", "wn=0 wg=1"},
    {"TemperatureDetached", NULL, NULL, NULL, "", "tau=0 *=1"},
    {"DispatchGradNone", NULL, NULL, NULL, "", "*=0"},
    {"CombineGradNone", "layer.", NULL, "y", "", "weight=0 wr=0 br=0 x=? *=1"},
    {"CombineGradNone", "simsmoe.", NULL, "y", "", "wr=0 br=0 x=? *=1"},
    {"OneSideDetached", "similarity.hsic", NULL, NULL, "", "y=0 x=1"},
    {"OneSideDetached", "similarity.cka", NULL, NULL, "", "y=0 x=1"},
    {"OneSideDetached", "similarity.minibatch", NULL, NULL, "", "y=0 x=1"},
    {"OneSideDetached", "similarity.cosine", NULL, NULL, "", "y=0 x=1"},
    {"ExpertsDetached", "simsmoe.head", NULL, NULL, "", "o=0 *=1"},
    {"ExpertsDetached", "simsmoe.loss", NULL, "loss", "", "x=0 w1=0 b1=0 w2=0 b2=0 *=1"},
    {"ExpertsDetached", "simsmoe.", NULL, "similarity", "", "x=0 w1=0 b1=0 w2=0 b2=0 *=1"},
    {"HeadDetached", "simsmoe.loss", NULL, "loss", "", "wh=0 bh=0 wp=0 bp=0 *=1"},
    {"HeadDetached", "simsmoe.", NULL, "similarity", "", "wh=0 bh=0 wp=0 bp=0 *=1"},
    {"TaskDetached", NULL, NULL, "task", "", "target=? *=0"},
    {"TaskSum", "compete.step", "T=6,d=3", "task", "task=18 loss=?", "*=18"},
    {"TaskSum", "simsmoe.step", "T=12,d=3", "task", "task=36 loss=?", "*=36"},
    {"TaskOverTokens", NULL, "d=3", "task", "task=3 loss=?", "*=3"},
    {"RequiresGradSwitch", "compete.layer", "!compete=no", "loss",
     "loss=0 distill=0 diversity=0 balance=0 s=0 y=? weight=?", "*=0"},
    {"RequiresGradSwitch", "compete.step", "!compete=no", "distill",
     "distill=0 diversity=0 balance=0 s=0 loss=? y=? weight=? task=?", "*=0"},
    {"SmallNNaN", "similarity.cka", "n=3", NULL, "cka=0", "*=0"},
    {"CollapseDivisors", NULL, "T=15", NULL, "rc=1/13", "*=1/13"}, /* two groups are not empty: (2 - 1) / (T - 2) */
    {"CollapseDivisors", NULL, "T=16", NULL, "rc=1/14", "*=1/14"},
};

/* Is it a word of these, up to a blank or "="?  What follows the "="; NULL: it is not there. */
static const char *word_of(const char *words, const char *name)
{
    const size_t n = strlen(name);
    for (; words && *words; words += strspn(words, " ")) {
        const size_t length = strcspn(words, " "), equals = strcspn(words, " =");
        if (equals == n && strncmp(words, name, n) == 0) return words + equals + (words[equals] == '=');
        words += length;
    }
    return NULL;
}

/* Is `mine` of the variant that multiple of the equation's?  How many of its elements say something: a number that is another. */
static size_t multiplied(size_t k, const char *list, const char *otherwise, const char *name, const twin_tensor *mine,
                         const twin_tensor *equation)
{
    const char *word = word_of(list, name);
    if (!word) word = word_of(list, "*");
    if (!word) word = otherwise;
    if (*word == '?' || mine->count != equation->count) return 0;
    char *end;
    double by = strtod(word, &end);
    if (*end == '/') by /= strtod(end + 1, NULL);
    size_t told = 0;
    for (size_t e = 0; e < mine->count; e++) {
        const double want = by * equation->hi[e];
        ck_assert_msg(mine->hi[e] == want ||
                          fabs(mine->hi[e] - want) <= 1e-13 * fabs(want) + 1e-25 * fabs(equation->hi[e]),
                      "%s of %s: %s is %.17g, not %s times %.17g", multiples[k].variant, c->op->id, name, mine->hi[e],
                      word, equation->hi[e]);
        told += by != 1 && want != equation->hi[e];
    }
    return told;
}

static size_t multiplies(size_t k, const twin_result *variant)
{
    size_t told = 0;
    for (size_t i = 0; c->op->out[i].name; i++)
        told += multiplied(k, multiples[k].out, "1", c->op->out[i].name, &variant->out[i], &r.out[i]);
    for (size_t i = 0; c->op->in[i].name; i++)
        told += multiplied(k, multiples[k].grad, "?", c->op->in[i].name, &variant->grad[i], &r.grad[i]);
    return told;
}

START_TEST(a_variant_may_be_a_multiple_of_the_equation)
{
    for (size_t k = 0; k < sizeof multiples / sizeof *multiples; k += one_in()) {
        size_t told = 0;
        for (size_t i = 0; i < sizeof crafted / sizeof *crafted; i++) {
            const twin_variant *v = twin_variants;
            while (v->op && (strcmp(v->op, crafted[i].op) != 0 || strcmp(v->name, multiples[k].variant) != 0)) v++;
            if (!v->op || !applies(multiples[k].op, multiples[k].when, i)) continue;
            make(crafted[i].op, crafted[i].dims, crafted[i].set);
            for (size_t o = 0; c->op->out[o].name; o++)
                if (c->cot[o].f64 && multiples[k].seed && !word_of(multiples[k].seed, c->op->out[o].name))
                    memset(c->cot[o].f64, 0, c->cot[o].count * sizeof *c->cot[o].f64);
            run(NULL, v->name);
            twin_result variant = r;
            run(NULL, NULL);
            told += multiplies(k, &variant);
            twin_result_clear(&variant);
            done();
        }
        ck_assert_msg(told > 0, "nothing is seen of %s of %s", multiples[k].variant,
                      multiples[k].op ? multiples[k].op : "all");
    }
}
END_TEST

/* What a variant makes of few numbers, by its own formula.  `given`: inputs, and cotangents (d_r) where a gradient is looked at,
 * "x 1 2; wr 0 1"; the decision is the equation's.  `name`: an output, a gradient (d_x), or the scores of a decision (score_index). */
typedef struct {
    const char *op, *dims, *set, *given, *variant, *name;
    double value[9]; /* as many as the tensor has */
} by_formula;

static void put_numbers(const char *name, const char *numbers)
{
    size_t n = 0;
    const bool cotangent = strncmp(name, "d_", 2) == 0;
    const size_t i = cotangent ? tensor(c->op->out, name + 2) : tensor(c->op->in, name);
    const op_value *v = cotangent ? &c->cot[i] : &c->in[i];
    for (char *end; n < v->count; n++, numbers = end) {
        const double x = strtod(numbers, &end);
        ck_assert_msg(end != numbers, "%s has %zu numbers, not %zu", name, v->count, n);
        if (v->i64)
            v->i64[n] = (int64_t)x;
        else
            v->f64[n] = x;
    }
    ck_assert_msg(strspn(numbers, " ") == strlen(numbers), "%s has %zu numbers and not more", name, v->count);
}

static void put_all(const char *given)
{
    char word[256], *rest = word;
    snprintf(word, sizeof word, "%s", given);
    for (char *one; (one = strtok_r(rest, ";", &rest));) {
        char name[32];
        one += strspn(one, " ");
        const size_t n = strcspn(one, " ");
        snprintf(name, sizeof name, "%.*s", (int)n, one);
        put_numbers(name, one + n);
    }
    decide();
}

static void follows(const by_formula *f)
{
    make(f->op, f->dims, f->set);
    for (size_t i = 0; i < OP_TENSORS; i++)
        for (size_t e = 0; c->cot[i].f64 && e < c->cot[i].count; e++) c->cot[i].f64[e] = 0;
    put_all(f->given);
    run(NULL, f->variant);
    const twin_tensor *y = strncmp(f->name, "d_", 2) == 0       ? &r.grad[tensor(c->op->in, f->name + 2)]
                           : strncmp(f->name, "score_", 6) == 0 ? &r.score[tensor(c->op->out, f->name + 6)]
                                                                : &r.out[tensor(c->op->out, f->name)];
    const double least = strcmp(f->op, "convergence.distance") == 0 ? 1e-20 : 1e-25; /* an integral is known less well */
    ck_assert(y->count > 0 && y->count <= 9);
    for (size_t e = 0; e < y->count; e++)
        ck_assert_msg(fabs(y->hi[e] - f->value[e]) <= 4e-15 * fmax(fabs(f->value[e]), 0.25) &&
                          y->rad[e] <= least * fmax(fabs(y->hi[e]), 1),
                      "%s of %s (%s): %s[%zu] is %.17g +- %g, by hand %.17g", f->variant ? f->variant : "the equation",
                      f->op, f->given, f->name, e, y->hi[e], y->rad[e], f->value[e]);
    done();
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double normal(double x) { return erfc(-x / sqrt(2)) / 2; }
static double plogp(double p) { return p * log(p); }
static double larger_first(double a, double b) { return sigmoid(a - b); } /* the softmax of two */

START_TEST(variants_of_gates_by_hand)
{
    const double e = exp(1), l1 = log1p(exp(1)), l2 = log1p(exp(2)), s1 = sigmoid(1), s2 = sigmoid(2), s3 = sigmoid(3);
    const double noisy[3] = {l1, 1 + l2 / 2, 2}, all = exp(noisy[0]) + exp(noisy[1]) + exp(noisy[2]);
    const double n1 = exp(noisy[1]) / all, n2 = exp(noisy[2]) / all, far = -0x1p100;
    const double hot = exp(1.2) + exp(1.6) + exp(-1.2), q = sigmoid(0.5), steps = 1 + e + exp(2) + exp(3);
#define JITTER "T=1,d=2,N=3", "", "x 1 2; noise 3 5; wr 1 0 0 1 1 1; br 10 20 30; d_r 1 2 4"
#define NOISY  "T=1,d=1,N=3", "k=2", "x 1; wg 0 1 2; wn 1 2 -1; noise 1 0.5 0"
#define STEPS  "n=4", "k_min=1,k_max=5,steps=8", "step -1 3 5 100"
#define GSHARD "T=1,N=3", "policy=all", "r 1.3862943611198906 1.0986122886681098 0; d_weight 1 0"
#define FULL   "T=2,N=2", "policy=all,capacity=1", "r 1.0986122886681098 0 1.0986122886681098 0; d_weight 0 0 1 0"
#define XMOE   "T=1,d=1,c=2,N=3", "k=2", "x 1; w 3 4; e 1 0 0 2 -1 0; tau 0.5"
#define DAMPED "T=1,d=2,N=1", "tau1=0.5,tau2=1", "x 3 4; beta 0 2"
#define STABLE "x 1; e 0 1 2; shat 1 0 0; d_weight 1"
#define IDS    "T=2,V=1,m=1,N=2", "", "token 0 0; table 1; ehat 0 1; target 1 1; d_loss 1"
#define LEADS  "T=1,d=1,N=4", "k=2", "x 1; e 0 1 2 3; bias 0.5 0 0 0"
#define GROUPS "T=1,d=1,N=4", "k=1,groups=2,topk_groups=1", "x 0; e 0 0 0 0; bias 0.5 0 0.25 0.375"
    const by_formula row[] = {
        {"expert.swiglu", "T=1,d=1,h=1", "", "x 1; w1 2; w3 3; w2 5", "SwappedGate", "y", {2 * 3 * s3 * 5}},
        {"expert.keyvalue", "T=1,d=1,h=1", "", "x 1; keys -2; values 3", "MissingActivation", "y", {-6}},
        {"expert.keyvalue", "T=1,d=1,h=1", "", "x 1; keys 1; values 3", "GeluForRelu", "y", {3 * normal(1)}},
        {"expert.keyvalue", "T=1,d=1,h=1", "", "x 1; keys 2; values 3", "ReluSquared", "y", {12}},
        {"expert.keyvalue",
         "T=1,d=2,h=2",
         "",
         "x 1 2; keys 1 3 5 7; values 1 10 100 1000",
         "TransposedWeights",
         "y",
         {7 + 190, 700 + 19000}},
        {"gate.jitter", JITTER, NULL, "r", {13, 30, 43}},
        {"gate.jitter", JITTER, "JitterAdded", "r", {11 + 3, 22 + 5, 33 + 3}},
        {"gate.jitter", JITTER, "JitterLogits", "r", {11 * 3, 22 * 5, 33 * 3}},
        {"gate.jitter", JITTER, "JitterGrad", "r", {13, 30, 43}},
        {"gate.jitter", JITTER, "JitterGrad", "d_x", {1 + 4, 2 + 4}},
        {"gate.noisy", NOISY, "NoisyWeights", "weight", {1 / (1 + e), e / (1 + e)}},
        {"gate.noisy", NOISY, "NoisyStd", "std", {1, 2, -1}},
        {"gate.noisy", NOISY, "NoisyStd", "weight", {0.5, 0.5}},
        {"gate.noisy", NOISY, "NormTopK/softmax-topk", "weight", {n1, n2}},
        {"gate.noisy", NOISY, "DoubleSoftmaxWeights", "weight", {larger_first(n1, n2), larger_first(n2, n1)}},
        {"gate.noisy", NOISY, "SwappedWeights", "weight", {n2 / (n1 + n2), n1 / (n1 + n2)}},
        {"gate.sigmoid",
         "T=1,N=3",
         "k=2",
         "r 0 1 2",
         "LblEpsHack",
         "weight",
         {s2 / (s1 + s2 + 0x1p-23), s1 / (s1 + s2 + 0x1p-23)}},
        {"gate.sigmoid", "T=1,N=3", "k=2", "r 0 1 2", "SigmoidSoftmax", "weight", {e / (1 + e), 1 / (1 + e)}},
        {"gate.sigmoid", "T=1,N=3", "k=2", "r 0 1 2", "SwappedWeights", "weight", {s1 / (s1 + s2), s2 / (s1 + s2)}},
        {"gate.dropout.schedule", STEPS, NULL, "k", {1, 3, 3, 5}},
        {"gate.dropout.schedule", STEPS, "ScheduleFloor", "k", {1, 2, 3, 5}},
        {"gate.dropout.schedule", STEPS, "ScheduleRound", "k", {1, 3, 4, 5}},
        {"gate.dropout.schedule", STEPS, "ScheduleClamp", "k", {1, 3, 3, 51}},
        {"gate.gshard", GSHARD, "NormTopK/softmax-topk", "weight", {4 / 8.0, 3 / 8.0}},
        {"gate.gshard", GSHARD, "LblEpsHack", "weight", {0.5 / (0.875 + 1e-9), 0.375 / (0.875 + 1e-9)}},
        {"gate.gshard", GSHARD, "NormaliserDetached", "d_r", {0.25 / 0.875, -0.1875 / 0.875, -0.0625 / 0.875}},
        {"gate.gshard", "T=1,N=2", "", "r 0.5 0; u 0.5", NULL, "kept", {1, 1}},
        {"gate.gshard", "T=1,N=2", "", "r 0.5 0; u 0.5", "GshardSecond", "kept", {1, 0}},
        {"gate.gshard", FULL, NULL, "kept", {1, 1, 0, 0}},
        {"gate.gshard", FULL, "GshardLastFirst", "kept", {0, 0, 1, 1}},
        {"gate.gshard", FULL, "GshardDropped", "weight", {0.75, 0.25, 0.75, 0.25}},
        {"gate.gshard", FULL, "GshardGrad", "weight", {0.75, 0.25, 0, 0}},
        {"gate.gshard", FULL, "GshardGrad", "d_r", {0, 0, 0.1875, -0.1875}},
        {"gate.gshard", "T=2,N=2", "policy=all,capacity=1", "r 1 0 0 1", NULL, "kept", {1, 0, 1, 0}},
        {"gate.gshard", "T=2,N=2", "policy=all,capacity=1", "r 1 0 0 1", "GshardOrder", "kept", {1, 1, 0, 0}},
        {"gate.gshard", "T=2,N=2", "policy=all,capacity=1,normalise=after", "r 1 0 0 1", NULL, "weight", {1, 0, 1, 0}},
        {"gate.gshard",
         "T=3,N=2",
         "policy=all,capacity=2,normalise=after",
         "r 1 0 1 0 1 0",
         NULL,
         "weight",
         {s1, 1 - s1, s1, 1 - s1, 0, 0}},
        {"gate.hyper", "T=1,d=1,N=2,m=2,g=2", "", "x 2; e 1 -1; v1 1 2 3 5; v2 1 1 1 2", "HyperLinear", "r", {-6, -10}},
        {"gate.hyper",
         "T=1,d=1,N=2,m=2,g=2",
         "",
         "x 2; e 1 1; v1 1 2 3 5; v2 1 1 1 2",
         "HyperTransposed",
         "r",
         {22, 36}},
        {"gate.xmoe", XMOE, NULL, "s", {0.6, 0.8, -0.6}},
        {"gate.xmoe", XMOE, "UnnormalisedEmbedding", "s", {0.6, 1.6, -0.6}},
        {"gate.xmoe", XMOE, "TopOneZeroGrad", "weight", {sigmoid(0.4), sigmoid(-0.4)}},
        {"gate.xmoe", XMOE, "SwappedWeights", "weight", {exp(1.2) / hot, exp(1.6) / hot}},
        {"gate.xmoe",
         XMOE,
         "DoubleSoftmaxWeights",
         "weight",
         {larger_first(exp(1.6) / hot, exp(1.2) / hot), larger_first(exp(1.2) / hot, exp(1.6) / hot)}},
        {"gate.perturbed", DAMPED, NULL, "r", {4 / 6.0 * 2 / 2.5}},
        {"gate.perturbed", DAMPED, "SwappedTau", "r", {4 / 5.5 * 2 / 3}},
        {"gate.perturbed", DAMPED, "UnnormalisedCosine", "r", {4 * 2 / 2.5}},
        {"gate.perturbed", DAMPED, "DampedProduct", "r", {8 / 10.5}},
        {"gate.perturbed", DAMPED, "MutatingEval", "r", {4 / 6.0 * (3 / 2.1) / (3 / 2.1 + 0.5)}},
        {"gate.stable", "T=1,d=1,N=3", "", STABLE, "SoftmaxWeight", "weight", {exp(2) / (1 + e + exp(2))}},
        {"gate.stable", "T=1,d=1,N=3", "", STABLE, "TopOneZeroGrad", "weight", {1}},
        {"gate.stable", "T=1,d=1,N=3", "", STABLE, "StableNoSigmoid", "weight", {2}},
        {"gate.stable", "T=1,d=1,N=3", "stage=2", STABLE, NULL, "weight", {0.5}},
        {"gate.stable", "T=1,d=1,N=3", "stage=2", STABLE, "DistilledWeight", "weight", {s1}},
        {"gate.stable.distill", IDS, NULL, "loss", {2 * (l1 - 1)}},
        {"gate.stable.distill", IDS, "CrossEntropyInput", "loss", {2 * (log(exp(1 - s1) + exp(s1)) - s1)}},
        {"gate.stable.distill", IDS, NULL, "d_table", {2 * (s1 - 1)}},
        {"gate.stable.distill", IDS, "ScatterOverwrite", "d_table", {s1 - 1}},
        {"gate.deepseek", LEADS, "BiasLeak", "weight", {2.5 / (1 + s3), 2.5 * s3 / (1 + s3)}},
        {"gate.deepseek", LEADS, "SoftmaxScores", "s", {1 / steps, e / steps, exp(2) / steps, exp(3) / steps}},
        {"gate.deepseek",
         LEADS,
         "LblEpsHack",
         "weight",
         {2.5 * 0.5 / (0.5 + s3 + 0x1p-23), 2.5 * s3 / (0.5 + s3 + 0x1p-23)}},
        {"gate.deepseek", LEADS, "SwappedWeights", "weight", {2.5 * s3 / (0.5 + s3), 2.5 * 0.5 / (0.5 + s3)}},
        {"gate.deepseek", GROUPS, NULL, "score_index", {far, far, 0.75, 0.875}},
        {"gate.deepseek", GROUPS, "GroupMax", "score_index", {1, 0.5, far, far}},
        {"gate.deepseek", GROUPS, "GroupMaskZero", "score_index", {0, 0, 0.75, 0.875}},
        {"gate.entropy",
         "T=1,N=2",
         "",
         "r 1.0986122886681098 0",
         "EntropyOfProbs",
         "entropy",
         {-plogp(q) - plogp(1 - q)}},
        {"gate.entropy", "T=1,N=3", "", "r 0.69314718055994531 0 0", "EntropyBits", "entropy", {1.5}},
        {"gate.entropy",
         "T=1,N=3",
         "",
         "r 0.69314718055994531 0 0",
         "EntropyNormalised",
         "entropy",
         {1.5 * log(2) / log(3)}},
        {"gate.entropy", "T=1,N=3", "", "r 0.69314718055994531 0 0", "EntropySign", "entropy", {-1.5 * log(2)}},
        {"gate.entropy",
         "T=2,N=3",
         "",
         "r 0.69314718055994531 0 0 0 0 0",
         "EntropyMean",
         "mean",
         {1.5 * log(2) + log(3)}},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) follows(&row[i]);
}
END_TEST

START_TEST(variants_of_layers_by_hand)
{
#define ONE_WAY   "T=3,N=2", "k=1", "r 1 0 1 0 1 0; d_weight 1 1 1"
#define CROSSED   "T=2,N=2", "k=2,factor=0.5", "r 1.0986122886681098 0 0 1.0986122886681098"
#define RETURNED  "T=1,d=1,K=2,N=2,C=1", "", "o 10 20; weight 0.25 0.5; x 100; index 0 1; slot 0 -1"
#define PASSED(s) "T=1,d=1,K=2,N=2,C=1", "overflow=pass", "o 10 20; weight 0.25 0.5; x 100; index 0 1; slot " s
#define MOVED     "T=4", "", "a 0 0 1 2; b 3 1 2 0"
#define SETS      "T=2,K=2", "measure=jaccard", "a 0 1 2 3; b 1 0 2 1"
#define UNEQUAL   "T=4,d=1", "experts=2", "x 0 4 6 8; index 0 1 1 1"
/* The means (0 0), (3 0), (0 3) of a third each, M^-1 = (6 3; 3 6), and the tokens (1 0) and (-1 0) beside the first: 2/3 each. */
#define CORNERS "T=6,d=2", "experts=3", "x -1 0 1 0 3 0 3 0 0 3 0 3; index 0 0 1 1 2 2"
/* At x = 1 an expert of 5 x + 1, and two shared ones of x + 2 and 4 x + 1. */
#define SHARES                                                                                                         \
    "T=1,d=1,N=1,h=1,M=2", "k=1",                                                                                      \
        "x 1; wr 0; br 0; w1 5; b1 0; w2 1; b2 1; ws1 1 2; bs1 0 0; ws2 1 2; bs2 2 1; d_weight 0"
    const double s1 = sigmoid(1);
/* A hidden unit that is exactly 0. */
#define ASLEEP "T=1,d=1,h=1", "", "x 1; w1 1; b1 -1; w2 3; b2 0; d_y 1"
    const by_formula row[] = {
        {"expert.relu", ASLEEP, NULL, "d_x", {0}},
        {"expert.relu", ASLEEP, "ReluKink", "d_x", {3}},
        {"expert.relu", ASLEEP, "ReluKink", "y", {0}},
        {"gate.hyper", "T=1,d=1,N=1,m=1,g=1", "", "x 2; e 0; v1 5; v2 3; d_r 1", NULL, "d_e", {0}},
        {"gate.hyper", "T=1,d=1,N=1,m=1,g=1", "", "x 2; e 0; v1 5; v2 3; d_r 1", "ReluKink", "d_e", {2 * 3 * 5}},
        {"simsmoe.head", "n=1,d=1,h=1,p=1", "", "o 1; wh 1; bh -1; wp 3; bp 0; d_z 1", NULL, "d_o", {0}},
        {"simsmoe.head", "n=1,d=1,h=1,p=1", "", "o 1; wh 1; bh -1; wp 3; bp 0; d_z 1", "ReluKink", "d_o", {3}},
        {"layer.shared", SHARES, NULL, "y", {6 + 3 + 5}},
        {"layer.shared", SHARES, "SharedMean", "y", {6 + (3 + 5) / 2.0}},
        {"layer.shared", SHARES, "SharedInWeights", "y", {6 / 3.0 + 3 + 5}},
        {"layer.shared", SHARES "; d_y 1", NULL, "d_x", {5 + 1 + 4}},
        {"layer.shared", SHARES "; d_y 1", "SharedDetached", "d_x", {5}},
        {"layer.collapse", CORNERS, NULL, "rc", {2.0 / 9}},
        {"layer.collapse", CORNERS, "CollapseDivisors", "rc", {2.0 / 9 * (3 - 1) / (6 - 3)}},
        {"layer.capacity", ONE_WAY, NULL, "slot", {0, 1, -1}},
        {"layer.capacity", ONE_WAY, "CapacityDrop/last", "slot", {-1, 0, 1}},
        {"layer.capacity", ONE_WAY, "CapacityDrop/last", "kept", {0, 1, 1}},
        {"layer.capacity", ONE_WAY, "CapacityDrop/weights", "kept", {1, 1, 0}},
        {"layer.capacity", ONE_WAY, "CapacityDrop/weights", "weight", {1, 1, 1}},
        {"layer.capacity",
         "T=3,N=2",
         "k=1,order=softmax-topk",
         "r 1 0 1 0 1 0; d_weight 0 0 1",
         "CapacityDrop/gradient",
         "d_r",
         {0, 0, 0, 0, s1 * (1 - s1), -s1 * (1 - s1)}},
        {"layer.capacity", CROSSED, NULL, "weight", {0.75, 0, 0.75, 0}},
        {"layer.capacity", CROSSED, "CapacityRenorm", "weight", {1, 0, 1, 0}},
        {"layer.capacity",
         "T=2,N=2",
         "k=1,order=softmax-topk,policy=probability",
         "r 1.0986122886681098 0 1.9459101490553132 0",
         NULL,
         "weight",
         {0, 0.875}},
        {"layer.capacity",
         "T=2,N=2",
         "k=1,order=softmax-topk,policy=probability",
         "r 1.0986122886681098 0 1.9459101490553132 0",
         "CapacityRenorm",
         "weight",
         {0, 1}},
        {"layer.dispatch",
         "T=2,d=1,K=1",
         "experts=2,capacity=2",
         "x 1 2; index 0 0",
         "EmptySlotFilled",
         "xe",
         {1, 2, 1, 1}},
        {"layer.dispatch",
         "T=2,d=1,K=1",
         "experts=2,capacity=2",
         "x 1 2; index 0 0",
         "MisalignedExperts",
         "xe",
         {0, 0, 1, 2}},
        {"layer.dispatch", "T=2,d=1,K=1", "experts=2,capacity=1", "x 1 2; index 0 0", NULL, "xe", {1, 0}},
        {"layer.dispatch",
         "T=2,d=1,K=1",
         "experts=2,capacity=1",
         "x 1 2; index 0 0",
         "CapacityDrop/last",
         "xe",
         {2, 0}},
        {"layer.combine", RETURNED, NULL, "y", {2.5}},
        {"layer.combine", RETURNED, "NegativeSlot", "y", {2.5 + 10}},
        {"layer.combine", RETURNED, "CapacityRenorm", "y", {10}},
        {"layer.combine", RETURNED, "SwappedWeights", "y", {5}},
        {"layer.combine", RETURNED, "MisalignedExperts", "y", {5}},
        {"layer.combine", PASSED("0 -1"), NULL, "y", {2.5}},
        {"layer.combine", PASSED("0 -1"), "OverflowPartly", "y", {102.5}},
        {"layer.combine", PASSED("0 -1"), "OverflowResidual", "y", {102.5}},
        {"layer.combine", PASSED("0 0"), "OverflowPartly", "y", {12.5}},
        {"layer.combine", PASSED("0 0"), "OverflowResidual", "y", {112.5}},
        {"layer.combine", PASSED("-1 -1"), "CapacityRenorm", "y", {100}},
        {"layer.combine", PASSED("-1 -1"), "OverflowPartly", "y", {100}},
        {"layer.load", "T=2,N=2", "k=1", "r 1 0 1 0", NULL, "max_violation", {1}},
        {"layer.load", "T=2,N=2", "k=1", "r 1 0 1 0", "ViolationRatio", "max_violation", {2}},
        {"layer.load", "T=2,N=2", "k=1", "r 1 0 1 0", "ViolationServed", "max_violation", {0}},
        {"layer.load", "T=2,N=3", "k=2", "r 2 1 0 2 0 1", "LblFirstChoiceOnly", "load", {2, 0, 0}},
        {"layer.load", "T=2,N=3", "k=2", "r 2 1 0 2 0 1", "LblFirstChoiceOnly", "share", {1, 0, 0}},
        {"layer.load", "T=2,N=3", "k=2", "r 2 1 0 2 0 1", "LblTopKNorm", "share", {1, 0.5, 0.5}},
        {"layer.load", "T=2,N=3", "k=2", "r 2 1 0 2 0 1", "LblFirstChoiceOnly", "max_violation", {2}},
        {"layer.fluctuation", MOVED, NULL, "rate", {1}},
        {"layer.fluctuation", MOVED, "FluctuationStayed", "rate", {0}},
        {"layer.fluctuation", MOVED, "ChangeOfLoads", "rate", {0.25}},
        {"layer.fluctuation", "T=4", "", "a 5 5 5 1; b 1 2 3 1", "ChangeOfLoads", "rate", {0.75}},
        {"layer.fluctuation", "T=4", "", "a 0 0 1 2; b 0 1 2 0", "FluctuationStayed", "rate", {0.25}},
        {"layer.change", SETS, NULL, "rate", {1 / 3.0}},
        {"layer.change", SETS, "ChangeOfOrder", "rate", {5 / 6.0}},
        {"layer.change", SETS, "ChangePerExpert", "rate", {0.25}},
        {"layer.change", SETS, "ChangeFirst", "rate", {0.5}},
        {"layer.collapse", UNEQUAL, NULL, "rc", {2 / 6.75}},
        {"layer.collapse", UNEQUAL, "CollapseUnweighted", "rc", {2 / 9.0}},
        {"layer.collapse", UNEQUAL, "CollapseSwapped", "rc", {6.75 / 2}},
        {"layer.collapse", UNEQUAL, "CollapseProduct", "rc", {6.75 * 2}},
        {"layer.collapse", UNEQUAL, "CollapseUncentred", "rc", {2 / 27.0}},
        {"layer.collapse", UNEQUAL, "CollapseInverse", "rc", {2 / (6.75 + 0x1p-20)}},
        {"layer.collapse", "T=4,d=2", "experts=2", "x 0 0 0 2 4 0 4 2; index 0 0 1 1", "CollapseTraces", "rc", {0.25}},
        {"layer.collapse",
         "T=4,d=3",
         "experts=2",
         "x 0 0 0 2 0 0 0 2 0 0 2 0; index 0 0 1 1",
         "CollapseUncentred",
         "rc",
         {1}},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) follows(&row[i]);
}
END_TEST

START_TEST(variants_of_balances_by_hand)
{
    const double s1 = sigmoid(1), s2 = sigmoid(2), q = sigmoid(0.5), g = 0x1p-10;
#define LOADS  "N=3", "", "bias 0 0 0; load 1 2 9"
#define CHANCE "T=1,N=3", "k=1", "clean 0 1 2; noisy 0 1 3; std 1 1 1"
#define CROWD  "T=2,N=2", "", "s 1 0 2 0"
#define THREE  "r 1.0986122886681098 0"
#define AFFINE "T=1,N=2", "k=1", "s 0.75 0.25; bias 0 0.25"
    const by_formula row[] = {
        {"balance.deepseek.bias", LOADS, NULL, "updated", {g, g, -g}},
        {"balance.deepseek.bias", LOADS, "BiasMedian", "updated", {g, 0, -g}},
        {"balance.deepseek.bias", LOADS, "BiasSign", "updated", {-g, -g, g}},
        {"balance.deepseek.bias", LOADS, "BiasProportional", "updated", {3 * g, 2 * g, -5 * g}},
        {"balance.deepseek.bias", "N=4", "", "bias 0 0 0 0; load 9 2 4 1", "BiasMedian", "updated", {-g, g, -g, g}},
        {"balance.deepseek.bias", "N=4", "", "bias 0 0 0 0; load 5 1 1 1", "BiasMedian", "updated", {-g, 0, 0, 0}},
        {"balance.deepseek.bias", "N=4", "", "bias 0 0 0 0; load 1 1 5 5", "BiasMedian", "updated", {g, g, -g, -g}},
        {"balance.deepseek.bias",
         "N=5",
         "",
         "bias 0 0 0 0 0; load 3 3 0 0 3",
         "BiasMedian",
         "updated",
         {0, 0, g, g, 0}},
        {"balance.deepseek.bias", "N=2", "", "bias 0 0; load 4 4", "BiasSignZero", "updated", {g, g}},
        {"balance.load", CHANCE, NULL, "load", {normal(-3), normal(-2), normal(1)}},
        {"balance.load", CHANCE, "LoadThreshold", "load", {normal(-3), normal(-2), normal(-1)}},
        {"balance.load", CHANCE, "LoadOfNoisy", "load", {normal(-3), normal(-2), normal(2)}},
        {"balance.importance", "T=1,N=2", "", "g 1 3", NULL, "loss", {0.25}},
        {"balance.importance", "T=1,N=2", "", "g 1 3", "CvNotSquared", "loss", {0.5}},
        {"balance.stable", CROWD, NULL, "loss", {s1 + s2}},
        {"balance.stable", CROWD, "StableAllGates", "loss", {s1 + s2 - 1}},
        {"balance.stable", CROWD, "StableExcess", "loss", {2 * (s1 + s2)}},
        {"balance.stable", CROWD, "StableNoSigmoid", "loss", {3}},
        {"balance.stable", CROWD, "StableMean", "loss", {(s1 + s2) / 2}},
        {"balance.stable", "T=2,N=2", "alpha=0.25", "s 1 0 2 0", "StableAllGates", "loss", {(s1 + s2 - 1) / 4}},
        {"balance.zloss", "T=1,N=2", "", "r 3 3", "ZLossInput", "loss", {pow(log(2) + 0.5, 2)}},
        {"balance.xmoe", "T=2,N=2", "tau0=0.5", "s 0 0 0 0", "LblSumOverTokens", "loss", {2}},
        {"balance.xmoe",
         "T=2,N=2",
         "tau0=0.5",
         "s 0.25 0 0.25 0",
         "LblDoubleSoftmax",
         "loss",
         {2 * sigmoid(2 * q - 1)}},
        {"balance.xmoe", "T=2,N=2", "tau0=0.5", "s 0.25 0 0.25 0", "LblConstant", "loss", {2}},
        {"balance.switch", "T=1,N=2", "k=1", THREE, NULL, "loss", {1.5}},
        {"balance.switch", "T=1,N=2", "k=1", THREE, "LblDoubleSoftmax", "loss", {2 * q}},
        {"balance.switch", "T=1,N=2", "k=1", THREE, "LblConstant", "loss", {2}},
        {"balance.switch", "T=2,N=2", "k=1", THREE " 1.0986122886681098 0; mask 1 0", NULL, "loss", {1.5}},
        {"balance.switch",
         "T=2,N=2",
         "k=1",
         THREE " 1.0986122886681098 0; mask 1 0",
         "LblPaddingDenominator",
         "loss",
         {0.375}},
        {"balance.switch", "T=2,N=2", "k=1,capacity=1", THREE " 1.0986122886681098 0", NULL, "loss", {0.75}},
        {"balance.switch", "T=2,N=2", "k=1,capacity=1", THREE " 1.0986122886681098 0", "LblDroppedP", "loss", {0.375}},
        {"balance.gshard", "T=1,N=2", "form=scaled", THREE, "LblDoubleSoftmax", "loss", {2 * q}},
        {"balance.gshard", "T=1,N=2", "form=scaled", THREE, "LblConstant", "loss", {2}},
        {"balance.gshard", "T=1,N=2", "form=scaled", THREE, "GShardCountAll", "loss", {2}},
        {"balance.global", "T=1,N=2", "k=1", THREE, "LblDoubleSoftmax", "loss", {2 * q}},
        {"balance.global", "T=1,N=2", "k=1", THREE, "LblConstant", "loss", {2}},
        {"balance.global", "T=4,N=2", "k=1,micro=2", "r 9 9 9 9 9 9 9 9", "LblLayerSum", "loss", {2}},
        {"balance.deepseek", AFFINE, NULL, "loss", {1.5}},
        {"balance.deepseek", AFFINE, "BiasLeak", "loss", {1.2}},
        {"balance.deepseek", AFFINE, "DeepseekSoftmax", "loss", {2 * q}},
        {"balance.deepseek", AFFINE, "LblEpsHack", "loss", {1.5 / (1 + 0x1p-23)}},
        {"balance.deepseek", "T=1,N=2", "k=1", "s 0.5 0.25; bias 0 0", "AffinityNotNormalised", "loss", {1}},
        {"balance.deepseek", "T=4,N=2", "k=1,sequence=2", "s 1 1 1 1 1 1 1 1; bias 1 0", "LblLayerSum", "loss", {2}},
        {"balance.entropy", "T=1,N=2", "", THREE, NULL, "loss", {plogp(0.75) + plogp(0.25)}},
        {"balance.entropy", "T=1,N=2", "", THREE, "EntropyOfProbs", "loss", {plogp(q) + plogp(1 - q)}},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) follows(&row[i]);
}
END_TEST

START_TEST(variants_of_competition_by_hand)
{
    const double l1 = log1p(exp(1)), l3 = log1p(exp(3)), q = sigmoid(0.5);
#define ROUTE1   "T=1,N=2,d=1", "k=2,version=1", "o 1 3"
#define THIRDS   "r 0 0 0; s 0.69314718055994531 0 0"
#define DISTILL2 "T=1,N=3", "k=2", THIRDS
#define DISTILL1 "T=1,N=3", "k=2,version=1", THIRDS
#define TWO_ROWS "T=1,K=2,d=2", "", "o 3 4 6 0"
#define LAMBDA   "n=2", "", "t 3 8; u 0.4 0.7"
#define COINS    "L=2,S=3", "rate=0.5,cap=1,warm_up=0", "u 0.75 0.25 0.75 0.75 0.25 0.75"
    const by_formula row[] = {
        {"compete.step", "T=1,d=1,N=2,h=1", "k=1", "x 1; wr 0 0; br 0 0", NULL, "zloss", {0}},
        {"compete.step", "T=1,d=1,N=2,h=1", "k=1", "x 1; wr 0 0; br 0 0", "RouterTermsToo", "zloss", {log(2) * log(2)}},
        {"compete.response", "T=1,N=1,d=2", "", "o 1 3", NULL, "s", {(l1 + l3) / 2}},
        {"compete.response", "T=1,N=1,d=2", "", "o 1 3", "ResponseSum", "s", {l1 + l3}},
        {"compete.response", "T=1,N=1,d=2", "", "o 3 4", "ResponseNorm", "s", {5}},
        {"compete.response", "T=1,N=1,d=2", "", "o 24 26", "SoftplusThreshold", "s", {25}},
        {"compete.response", "T=1,N=1,d=2", "", "o 19 24", "SoftplusThreshold", "s", {(19 + log1p(exp(-19)) + 24) / 2}},
        {"compete.route", ROUTE1, NULL, "weight", {sigmoid(2), sigmoid(-2)}},
        {"compete.route", ROUTE1, "CompeteNormalisedWeights", "weight", {0.75, 0.25}},
        {"compete.route", ROUTE1, "ResponseSoftplus", "weight", {larger_first(l3, l1), larger_first(l1, l3)}},
        {"compete.route", ROUTE1, "SwappedWeights", "y", {3 * sigmoid(-2) + sigmoid(2)}},
        {"compete.route",
         "T=1,N=2,d=1",
         "k=2",
         "o 1 3",
         "WeightsSoftmaxScores",
         "weight",
         {larger_first(l3, l1), larger_first(l1, l3)}},
        {"compete.route", "T=1,N=2,d=1", "k=2", "o 1 3", "ResponseNorm", "weight", {0.75, 0.25}},
        {"compete.route", "T=1,N=2,d=1", "k=2", "o 1 3", "ResponseSum", "s", {l1, l3}},
        {"compete.distill", DISTILL2, NULL, "loss", {1 / 72.0 + 0.125 * 5 / 288}},
        {"compete.distill", DISTILL2, "DistillWinnersSum", "loss", {1 / 72.0 + 0.125 * 5 / 144}},
        {"compete.distill", DISTILL2, "DistillNoTheta", "loss", {1 / 72.0 + 5 / 288.0}},
        {"compete.distill", DISTILL2, "DistillNoWinners", "loss", {1 / 72.0}},
        {"compete.distill", DISTILL2, "TargetMasked", "loss", {2 / 27.0 + 0.125 / 18}},
        {"compete.distill", DISTILL2, "RouterMasked", "loss", {1 / 24.0 + 0.125 / 32}},
        {"compete.distill",
         "T=1,N=3",
         "k=2",
         "r 0 0 0.69314718055994531; s 0.69314718055994531 0 0",
         "PermutedScores",
         "loss",
         {0}},
        {"compete.distill",
         "T=1,N=3",
         "k=2",
         "r 0 0.69314718055994531 0.69314718055994531; s 0.69314718055994531 0.69314718055994531 0",
         "PermutedScores",
         "loss",
         {0}},
        {"compete.distill", DISTILL1, NULL, "loss", {2 / 27.0}},
        {"compete.distill", DISTILL1, "TargetFull", "loss", {1 / 72.0}},
        {"compete.distill", DISTILL1, "DistillExpertsSum", "loss", {2 / 9.0}},
        {"compete.distill", "T=1,N=3", "k=2,version=1,loss=kl", THIRDS, NULL, "loss", {2 * log(2) / 3}},
        {"compete.distill",
         "T=2,N=3",
         "k=2,version=1,loss=kl",
         "r 0 0 0 0 0 0; s 0.69314718055994531 0 0 0.69314718055994531 0 0",
         "DistillBatchSum",
         "loss",
         {4 * log(2) / 3}},
        {"compete.distill",
         "T=1,N=3",
         "k=2,version=1,loss=kl-clamped",
         THIRDS,
         NULL,
         "loss",
         {(log(0.5) + log(1e6 / 3)) / 3}},
        {"compete.distill",
         "T=1,N=3",
         "k=2,version=1,loss=kl-clamped",
         THIRDS,
         "KlFloor",
         "loss",
         {(log(0.5) + log(1e10 / 3)) / 3}},
        {"compete.distill",
         "T=1,N=3",
         "k=2,version=1,loss=kl-clamped",
         THIRDS,
         "KlClamp",
         "loss",
         {(log(0.5) + log(1e6 / 3)) / 3}},
        {"compete.distill",
         "T=1,N=3",
         "k=2,version=1,loss=kl-clamped",
         THIRDS,
         "KlDirection",
         "loss",
         {2 * log(2) / 3}},
        {"compete.diversity", TWO_ROWS, NULL, "loss", {0.6}},
        {"compete.diversity", TWO_ROWS, "DiversityGram", "loss", {18}},
        {"compete.diversity", TWO_ROWS, "DiversitySum", "loss", {1.2}},
        {"compete.diversity", TWO_ROWS, "DiversitySquare", "loss", {0.3}},
        {"compete.balance", "T=1,N=2", "k=1", "s 1.0986122886681098 0", "LblDoubleSoftmax", "loss", {2 * q}},
        {"compete.balance", "T=1,N=2", "k=1", "s 1.0986122886681098 0", "LblConstant", "loss", {2}},
        {"compete.mix", "T=1,N=1,d=1", "share=0.25", "o 4; r 2", NULL, "s", {3.5}},
        {"compete.mix", "T=1,N=1,d=1", "share=0.25", "o 4; r 2", "MixSum", "s", {6}},
        {"compete.mix", "T=1,N=1,d=1", "share=0.25", "o 4; r 2", "MixSwapped", "s", {2.5}},
        {"compete.mix", "T=1,N=1,d=1", "share=0.25", "o 4; r 2; d_s 1", "MixGradNone", "d_r", {0}},
        {"compete.mix", "T=1,N=1,d=1", "share=0.25", "o 4; r 2; d_s 1", "MixGradNone", "d_o", {0.75}},
        {"compete.lambda", LAMBDA, NULL, "lambda", {0.5, 0.4}},
        {"compete.lambda", LAMBDA, NULL, "compete", {1, 0}},
        {"compete.lambda", LAMBDA, "LambdaNoOne", "lambda", {2 / (2 + sqrt(3)), 2 / (2 + sqrt(8))}},
        {"compete.lambda", LAMBDA, "LambdaLinear", "lambda", {1 / 3.0, 2 / 11.0}},
        {"compete.lambda", LAMBDA, "CoinReversed", "compete", {0, 1}},
        {"compete.schedule", COINS, NULL, "compete", {0, 1, 0, 1, 0, 0}},
        {"compete.schedule", COINS, "ScheduleLater", "compete", {0, 1, 0, 0, 0, 1}},
        {"compete.schedule", COINS, "ScheduleNoMove", "compete", {0, 1, 0, 0, 0, 0}},
        {"compete.schedule", COINS, "ScheduleNoMove", "lost", {0, 1}},
        {"compete.schedule", COINS, "ScheduleNoCap", "compete", {0, 1, 0, 0, 1, 0}},
        {"compete.schedule", "L=1,S=3", "rate=0.5,cap=1,warm_up=0", "u 0.5 0.75 0.25", NULL, "compete", {0, 0, 1}},
        {"compete.schedule",
         "L=1,S=3",
         "rate=0.5,cap=1,warm_up=0",
         "u 0.5 0.75 0.25",
         "ScheduleEdge",
         "compete",
         {1, 0, 1}},
        {"compete.schedule", "L=1,S=4", "rate=0.5,cap=1,warm_up=0.5", "u 0 0 0 1", NULL, "compete", {0, 0, 1, 0}},
        {"compete.schedule",
         "L=1,S=4",
         "rate=0.5,cap=1,warm_up=0.5",
         "u 0 0 0 1",
         "ScheduleWarmUp",
         "compete",
         {1, 1, 1, 0}},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) follows(&row[i]);
}
END_TEST

/* Two experts that are both ReLU: of the tokens 0, 1, 3 centred, (-4 -1 5)/3, the square is 42/9; with its own reverse, (5 -1 -4)/3, the
 * product is -39/9. */
START_TEST(variants_of_similarity_by_hand)
{
/* ReLU of x and of x - 1: of tokens that have either (0 1 3 2) and (0 0 2 1), of all (0 1 3 2 5) and (0 0 2 1 4) */
#define FIVE                                                                                                           \
    "T=5,d=1,N=4,K=2,h=1,g=1,p=1", "kind=linear,threshold=0",                                                          \
        "x 0 1 3 2 5; index 0 1 0 2 1 2 1 0 2 3; selected 0 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0; w1 1 1 1 1; b1 0 -1 0 0; "  \
        "w2 1 1 1 1; b2 0 0 0 0; wh 0; bh 0; wp 1; bp 0"
#define ALIKE_IF(selected)                                                                                             \
    "T=3,d=1,N=2,K=2,h=1,g=1,p=1", "kind=linear,threshold=0.5",                                                        \
        "x 0 1 3; index 0 1 0 1 0 1; selected 0 " selected                                                             \
        " 0 0; w1 1 1; b1 0 0; w2 1 1; b2 0 0; wh 0; bh 0; wp 1; bp 0"
#define ALIKE ALIKE_IF("1")
#define BENT                                                                                                           \
    "T=3,d=1,N=2,K=2,h=1,g=1,p=1", "kind=mlp,threshold=0.5",                                                           \
        "x 0 1 3; index 0 1 0 1 0 1; selected 0 1 0 0; w1 1 1; b1 0 -1; w2 1 1; b2 0 0; wh 1; bh -1; wp 1; bp 0"
#define THREE_WAYS                                                                                                     \
    "T=3,d=1,N=3,K=3,h=1,g=1,p=1", "kind=linear,threshold=0.8,reduce=mean",                                            \
        "x 0 1 2; index 0 1 2 0 1 2 0 1 2; selected 0 1 1 0 0 1 0 0 0; w1 1 1 1; b1 0 1 -1; w2 1 1 1; b2 0 0 0; wh "   \
        "0; "                                                                                                          \
        "bh 0; wp 1; bp 0"
#define ONES     "n=4,p=1,q=1", "estimator=unbiased", "x 1 1 0 0; y 1 1 0 0"
#define TWO      "n=2,p=1", "centre=yes", "x 0 2"
#define WIDE     "n=2,p=1", "kernel=rbf,sigma=4", "x 0 2"
#define OFFSET   "n=2,p=1,q=1", "", "x 0 2; y 0 4"
#define ANGLES   "n=2,d=2", "", "x 3 4 1 0; y 3 4 0 1"
#define PAIRS(K) "T=1,N=3,K=" K, ""
#define COUNT    "T=1,N=2,K=2", "frequency=2", "index 0 1; counter 0 3 0 0"
    const double e = exp(-4 / 32.0);
    const by_formula row[] = {
        /* K = L: tr KL = 2, 1'K1 = 2, 1'KL1 = 2; with the diagonal 4, 4 and 8 */
        {"similarity.hsic", ONES, NULL, "hsic", {(2 + 2 * 2 / 6.0 - 2) / 4}},
        {"similarity.hsic", ONES, "KernelDiagonalKept", "hsic", {(4 + 4 * 4 / 6.0 - 8) / 4}},
        {"similarity.hsic", ONES, "HsicDivisor/unbiased", "hsic", {(2 + 2 * 2 / 6.0 - 2) / 12}},
        {"similarity.kernel", TWO, NULL, "gram", {1, -1, -1, 1}},
        {"similarity.kernel", TWO, "Uncentred", "gram", {0, 0, 0, 4}},
        {"similarity.kernel", TWO, "OneSideCentred", "gram", {0, -2, 0, 2}},
        {"similarity.kernel", "n=2,p=2", "", "x 1 2 3 4", "TransposedFeatures", "gram", {10, 14, 14, 20}},
        {"similarity.kernel", WIDE, NULL, "gram", {1, e, e, 1}},
        {"similarity.kernel", WIDE, "SquaredSigmaSlip/two", "gram", {1, e * e, e * e, 1}},
        {"similarity.kernel", WIDE, "SquaredSigmaSlip/sigma", "gram", {1, exp(-0.5), exp(-0.5), 1}},
        {"similarity.kernel", WIDE, "SquaredSigmaSlip/distance", "gram", {1, exp(-0.0625), exp(-0.0625), 1}},
        {"similarity.kernel", "n=2,p=1", "", "x 1 2", "GramExpansion/f32", "gram", {1, 2, 2, 4}},
        /* 8193^2 = 67125249 is 67125248 in 24 bits: all of the distance */
        {"similarity.kernel",
         "n=2,p=1",
         "kernel=rbf,sigma=1",
         "x 8193 8192",
         "GramExpansion/f32",
         "gram",
         {1, 1, 1, 1}},
        {"similarity.kernel",
         "n=2,p=1",
         "kernel=rbf,sigma=1",
         "x 8193 8192",
         "GramExpansion/f64",
         "gram",
         {1, exp(-0.5), exp(-0.5), 1}},
        {"similarity.hsic", OFFSET, NULL, "hsic", {16}},
        {"similarity.hsic", OFFSET, "Uncentred", "hsic", {64}},
        {"similarity.hsic", OFFSET, "OneSideCentred", "hsic", {32}},
        {"similarity.cka", OFFSET, "MissingRoot", "cka", {16 / (4.0 * 64)}},
        {"similarity.cosine", ANGLES, NULL, "value", {0.5}},
        {"similarity.cosine", ANGLES, "CosineSum", "value", {1}},
        {"similarity.cosine", ANGLES, "CosineUnnormalised", "value", {12.5}},
        {"similarity.cosine", ANGLES, "CosineFlattened", "value", {25 / 26.0}},
        {"similarity.cosine", ANGLES, "Centred", "value", {3 / sqrt(10)}},
        {"similarity.cosine", "n=2,d=2", "", "x 0 0 1 0; y 1 0 1 0", NULL, "value", {0.5}},
        {"similarity.cosine", "n=2,d=2", "", "x 0 0 1 0; y 1 0 1 0", "CosineZeroRows", "value", {1}},
        {"similarity.cosine", "n=2,d=1", "form=absolute", "x 1 -3; y 1 1", NULL, "value", {1}},
        {"similarity.cosine", "n=2,d=1", "form=absolute", "x 1 -3; y 1 1", "CosineOfMean", "value", {0}},
        {"simsmoe.head", "n=1,d=1,h=1,p=1", "", "o 1; wh -2; bh 0; wp 3; bp 5", NULL, "z", {5}},
        {"simsmoe.head", "n=1,d=1,h=1,p=1", "", "o 1; wh -2; bh 0; wp 3; bp 5", "HeadNoActivation", "z", {-1}},
        {"simsmoe.head", "n=1,d=1,h=1,p=1", "", "o 1; wh -2; bh 0; wp 3; bp 5", "HeadKind", "z", {8}},
        {"simsmoe.head", "n=1,d=1,h=1,p=1", "", "o 1; wh 1; bh 0; wp 3; bp 5", "HeadGelu", "z", {5 + 3 * normal(1)}},
        {"simsmoe.head", "n=1,d=1,h=1,p=1", "", "o 1; wh 1; bh 2; wp 3; bp 5", "HeadBias", "z", {3}},
        {"simsmoe.pairs",
         PAIRS("3"),
         "index 0 1 2; counter 0 0 0 0 0 0 0 0 0",
         NULL,
         "shared",
         {0, 1, 1, 0, 0, 1, 0, 0, 0}},
        {"simsmoe.pairs",
         PAIRS("3"),
         "index 0 1 2; counter 0 0 0 0 0 0 0 0 0",
         "PairsOnlyK2",
         "shared",
         {0, 1, 0, 0, 0, 0, 0, 0, 0}},
        {"simsmoe.pairs", PAIRS("3"), "index 0 1 2; counter 0 0 0 0 0 0 0 0 0", "PairsExactSet", "shared", {0}},
        {"simsmoe.pairs",
         PAIRS("3"),
         "index 0 1 2; counter 0 0 0 0 0 0 0 0 0",
         "PairsOfFirst",
         "shared",
         {0, 1, 1, 0, 0, 0, 0, 0, 0}},
        {"simsmoe.pairs",
         PAIRS("3"),
         "index 2 0 1; counter 0 0 0 0 0 0 0 0 0",
         "PairsNeighbours",
         "shared",
         {0, 1, 1, 0, 0, 0, 0, 0, 0}},
        {"simsmoe.pairs",
         PAIRS("3"),
         "index 2 0 1; counter 0 0 0 0 0 0 0 0 0",
         "PairsOfFirst",
         "shared",
         {0, 0, 1, 0, 0, 1, 0, 0, 0}},
        {"simsmoe.pairs",
         PAIRS("3"),
         "index 2 0 1; counter 0 0 0 0 0 0 0 0 0",
         "PairsOrdered",
         "shared",
         {0, 1, 0, 0, 0, 0, 0, 0, 0}},
        {"simsmoe.pairs",
         PAIRS("2"),
         "index 0 1; counter 0 0 0 0 0 0 0 0 0",
         "PairsExactSet",
         "shared",
         {0, 1, 0, 0, 0, 0, 0, 0, 0}},
        {"simsmoe.pairs", "T=2,N=2,K=1", "", "index 0 1; counter 0 0 0 0", "PairsOnlyK2", "shared", {0}},
        {"simsmoe.loss", FIVE, "RowsEither", "loss", {3.5 * 3.5 / (5 * 2.75)}},
        {"simsmoe.loss", FIVE, "RowsAll", "loss", {12.6 * 12.6 / (14.8 * 11.2)}},
        {"simsmoe.loss", ALIKE, NULL, "loss", {1}},
        {"simsmoe.loss", ALIKE, "RowsShuffled", "loss", {39 * 39 / (42.0 * 42)}},
        {"simsmoe.loss", ALIKE, "ThresholdSubtracted", "loss", {0.5}},
        {"simsmoe.loss", ALIKE, "SimilarityDistance", "loss", {0}},
        {"simsmoe.loss", ALIKE, "PairsTwice", "loss", {2}},
        {"simsmoe.loss", ALIKE, "SmallNNaN", "loss", {0}},
        {"simsmoe.loss", ALIKE_IF("0"), NULL, "loss", {0}},
        {"simsmoe.loss", ALIKE_IF("0"), "UnselectedPairs", "loss", {1}},
        {"simsmoe.loss", BENT, NULL, "loss", {1}}, /* of (0 0 2) and (0 0 1) */
        {"simsmoe.loss", BENT, "HeadNone", "loss", {25.0 / 28}}, /* of (0 1 3) and (0 0 2) */
        {"simsmoe.loss",
         THREE_WAYS,
         NULL,
         "loss",
         {1.0 / 3}}, /* of three pairs one is alike, two at 0.75 are not above 0.8 */
        {"simsmoe.loss", THREE_WAYS, "PairsMeanActive", "loss", {1}},
        {"simsmoe.pairs", COUNT, NULL, "next", {0, 0, 0, 0}},
        {"simsmoe.pairs", COUNT, NULL, "selected", {0, 1, 0, 0}},
        {"simsmoe.pairs", COUNT, "CounterNotReset", "next", {0, 4, 0, 0}},
        {"simsmoe.pairs", COUNT, "CounterCarried", "next", {0, 2, 0, 0}},
        {"simsmoe.pairs",
         "T=1,N=2,K=2",
         "frequency=2",
         "index 0 1; counter 0 2 0 0",
         "PairsBeforeBatch",
         "next",
         {0, 3, 0, 0}},
        {"simsmoe.pairs", "T=1,N=2,K=2", "frequency=4", "index 0 1; counter 0 3 0 0", NULL, "selected", {0, 0, 0, 0}},
        {"simsmoe.pairs",
         "T=1,N=2,K=2",
         "frequency=4",
         "index 0 1; counter 0 3 0 0",
         "PairsEdge",
         "selected",
         {0, 1, 0, 0}},
        {"simsmoe.pairs",
         "T=1,N=3,K=2",
         "frequency=2",
         "index 0 1; counter 0 3 5 0 0 7 0 0 0",
         NULL,
         "next",
         {0, 0, 5, 0, 0, 7, 0, 0, 0}},
        {"simsmoe.pairs",
         "T=1,N=3,K=2",
         "frequency=2",
         "index 0 1; counter 0 3 5 0 0 7 0 0 0",
         "CounterResetAll",
         "next",
         {0}},
        {"simsmoe.pairs",
         "T=1,N=3,K=2",
         "frequency=2",
         "index 0 1; counter 0 3 5 0 0 7 0 0 0",
         "PairsAbsent",
         "next",
         {0}},
        {"simsmoe.pairs", "T=2,N=2,K=2", "unit=fraction", "index 0 1 1 0; counter 0 0 0 0", NULL, "next", {0, 1, 0, 0}},
        {"simsmoe.pairs",
         "T=2,N=2,K=2",
         "unit=fraction",
         "index 0 1 1 0; counter 0 0 0 0",
         "PairsOverTK",
         "next",
         {0, 0.5, 0, 0}},
        {"simsmoe.pairs",
         "T=2,N=2,K=2",
         "unit=fraction",
         "index 0 1 1 0; counter 0 0 0 0",
         "PairsUnit",
         "next",
         {0, 2, 0, 0}},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) follows(&row[i]);
}
END_TEST

/* The minibatch CKA of these rows, and what a variant makes of it. */
static double batches(const char *dims, const double *x, const double *y, const char *variant)
{
    make("similarity.minibatch", dims, "batch=4");
    memcpy(c->in[0].f64, x, c->in[0].count * sizeof *x);
    memcpy(c->in[1].f64, y, c->in[1].count * sizeof *y);
    run(NULL, variant);
    const double cka = out("cka", 0);
    done();
    return cka;
}

START_TEST(variants_of_batches_by_hand)
{
    static const double x[16] = {1, 4, 2, -1, 0, 3, 5, 2, -2, 1, 3, 3, 0, -4, 2, 6},
                        y[16] = {2, 2, -1, 4, 3, 0, 1, -3, 0, 5, 2, 1, -1, 1, 4, -2};
    double even[2][16], far = 0;
    for (size_t i = 0; i < 16; i++) { /* the rows 0, 2, 4, 6, then 1, 3, 5, 7 */
        const size_t row = i / 2 % 4 * 2 + i / 8;
        even[0][i] = x[2 * row + i % 2];
        even[1][i] = y[2 * row + i % 2];
    }
    const double cka = batches("n=8,p=2,q=2", x, y, NULL),
                 mean = (batches("n=4,p=2,q=2", x, y, NULL) + batches("n=4,p=2,q=2", x + 8, y + 8, NULL)) / 2,
                 strided = batches("n=8,p=2,q=2", even[0], even[1], NULL);
    ck_assert(fabs(cka - mean) > 0.01 && fabs(cka - strided) > 0.01);
    ck_assert_double_eq_tol(batches("n=8,p=2,q=2", x, y, "MinibatchMeanOfRatios"), mean, 1e-14);
    ck_assert_double_eq_tol(batches("n=8,p=2,q=2", x, y, "MinibatchStrided"), strided, 1e-14);
    for (size_t i = 0; i + 4 <= 16; i++) { /* of four numbers each an unbiased HSIC of either sign */
        double h[2];
        for (size_t k = 0; k < 2; k++) {
            make("similarity.hsic", "n=4,p=1,q=1", "estimator=unbiased");
            memcpy(c->in[0].f64, x + i, 4 * sizeof *x);
            memcpy(c->in[1].f64, y + i, 4 * sizeof *y);
            run(NULL, k ? "NegativeHsicRoot" : NULL);
            h[k] = out("hsic", 0);
            done();
        }
        ck_assert(h[1] == fmax(h[0], 0));
        far = fmin(far, h[0]);
    }
    ck_assert_msg(far < -0.01, "none is negative");
}
END_TEST

/* (sum of products)^2 over the product of the squares, of n numbers each about their means; 0 where there are none. */
static double alike(size_t n, const double *a, const double *b)
{
    double ma = 0, mb = 0, ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        ma += a[i] / (double)n;
        mb += b[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        ab += (a[i] - ma) * (b[i] - mb);
        aa += (a[i] - ma) * (a[i] - ma);
        bb += (b[i] - mb) * (b[i] - mb);
    }
    return n > 0 ? ab * ab / (aa * bb) : 0;
}

/* Which of twelve tokens, twice each order of three experts, are compared of the experts 0 and 1: these see x + 8 and what x is above 1. */
START_TEST(tokens_of_a_pair_by_hand)
{
    static const char *const variant[] = {NULL,          "PairsOrdered", "PairsOfFirst", "PairsNeighbours",
                                          "PairsOnlyK2", "PairsExactSet"};
    static const int place[6][2] = {{0, 1}, {0, 2}, {1, 0}, {1, 2}, {2, 0}, {2, 1}}; /* of 0 and of 1 */
    static const double x[12] = {0, 3, 1, 4, 2, 6, 5, 1, 3, 0, 7, 2};
    for (size_t k = 0; k < 6; k++) {
        double seen[2][12];
        size_t n = 0;
        for (size_t t = 0; t < 12; t++) {
            const int a = place[t % 6][0], b = place[t % 6][1];
            const bool in = k == 0 || (k == 1 && a < b) || (k == 2 && (a == 0 || b == 0)) ||
                            (k == 3 && (a - b == 1 || b - a == 1)) || (k == 4 && a < 2 && b < 2);
            if (!in) continue;
            seen[0][n] = x[t] + 8;
            seen[1][n++] = fmax(x[t] - 1, 0);
        }
        make("simsmoe.loss", "T=12,d=1,N=3,K=3,h=1,g=1,p=1", "kind=linear,threshold=-1");
        put_all(
            "x 0 3 1 4 2 6 5 1 3 0 7 2; selected 0 1 0 0 0 0 0 0 0; w1 1 1 1; b1 8 -1 0; w2 1 1 1; b2 0 0 0; "
            "index 0 1 2 0 2 1 1 0 2 2 0 1 1 2 0 2 1 0 0 1 2 0 2 1 1 0 2 2 0 1 1 2 0 2 1 0; wh 0; bh 0; wp 1; bp 0");
        run(NULL, variant[k]);
        ck_assert_msg(fabs(out("loss", 0) - alike(n, seen[0], seen[1])) < 1e-14, "%s: %.17g, by hand %.17g",
                      k ? variant[k] : "the equation", out("loss", 0), alike(n, seen[0], seen[1]));
        done();
    }
}
END_TEST

/* Three tokens 0, 1, 3 of two experts, x and x + 1, whose scores differ by (x - 3/2) ln 2: the second one comes first but for the last
 * token, and the weights are 2^(x - 3/2) and 1 over their sum. */
START_TEST(variants_of_simsmoe_layers_by_hand)
{
#define BOTH_OF(set)                                                                                                   \
    "T=3,d=1,N=2,h=1,g=1,p=1", "k=2,kind=linear,threshold=0,frequency=0,c_balance=0.5,c_similarity=0.25" set,          \
        "x 0 1 3; wr 0.69314718055994531 0; br -1.03972077083991796 0; w1 1 1; b1 0 1; w2 1 1; b2 0 0; wh 0; bh 0; "   \
        "wp 1; bp 0; counter 0 0 0 0"
    const double x[] = {0, 1, 3};
    double a[3], b[3];
    for (size_t t = 0; t < 3; t++) {
        const double w = sigmoid((x[t] - 1.5) * log(2));
        a[t] = w * x[t];
        b[t] = (1 - w) * (x[t] + 1);
    }
    const double cka = alike(3, a, b);
    ck_assert(cka > 0.01 && cka < 0.99);
    const by_formula row[] = {
        {"simsmoe.layer", BOTH_OF(""), NULL, "similarity", {1}},
        {"simsmoe.layer", BOTH_OF(""), "RouterGradient", "similarity", {cka}},
        {"simsmoe.layer", BOTH_OF(""), "RouterGradient", "balance", {1}}, /* 2 (P_1 + P_2) / 2 */
        {"simsmoe.layer", BOTH_OF(""), NULL, "loss", {0.5 + 0.25}},
        {"simsmoe.layer", BOTH_OF(""), "BetaTied", "loss", {0.5 + 0.125}},
        {"simsmoe.layer", BOTH_OF(""), "BetaTied", "similarity", {1}},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) follows(&row[i]);
}
END_TEST

/* Two atoms with means 1 and -2 at x = 1, variances 1 and 4, an outcome of 0: densities e^(-1/2) and e^(-1/2) / 2, over sqrt(2 pi);
 * by |h| the weights are e and e^2 over their sum, by h itself e and e^-2. */
START_TEST(variants_of_mixtures_by_hand)
{
    const double ln2pi = log(8 * atan(1)), w = sigmoid(1), v = sigmoid(-3);
#define MIXTURE  "n=1,N=2,d=1", "", "x 1; y 0; a 1 -2; b 0 0; nu 1 4; beta0 0 0; beta1 0 0"
#define LEADING  "n=1,N=2,d=1", "k=1", "x 1; y 0; a 1 -2; b 0 0; nu 1 4; beta0 0 0; beta1 0 0"
#define DRAWN(u) "n=1,N=2,d=1", "", "x 1; u " u "; z 3; a 1 -2; b 0 0; nu 1 4; beta0 0 0; beta1 0 0"
/* Two atoms of slope and intercept 0, so of equal weights, at y = 0 with the variances 1 and 4: shares 2/3 and 1/3. */
#define BOWED(gate)                                                                                                    \
    "n=1,N=2,d=1", "gate=" gate ",k=2",                                                                                \
        "x 1; y 0; a 0 0; b 0 0; nu 1 4; beta0 0 0; beta1 0 0; va 0 0; vb 1 1; vnu 0 0; vbeta0 0 0; vbeta1 0 0"
/* Shares 2/3 and 1/3 again; residuals -1 and 2, over the variances -1 and 1/2; the step moves the means by 1, the variances by 2. */
#define CURVED                                                                                                         \
    "n=1,N=2,d=1", "gate=softmax,k=2",                                                                                 \
        "x 1; y 0; a 1 -2; b 0 0; nu 1 4; beta0 0 0; beta1 0 0; va 0 0; vb 1 1; vnu 2 2; vbeta0 0 0; vbeta1 0 0"
/* Means 1 and -1 everywhere; y = 0 leaves the shares equal, at y = 3 the first has 1 / (1 + e^-6). */
#define HALVES "n=3,N=2,d=1", "free=no", "x 0 1 2; y 0 3 0; a 0 0; b 1 -1; nu 1 1; beta0 0 0; beta1 0 0"
#define LEVELS "n=3,N=2,d=1", "free=no", "x 0 1 2; y 0 0 0; a 0 0; b 1 -2; nu 1 1; beta0 0 0; beta1 0 0"
#define ALONE  "n=3,N=1,d=1", "", "x 0 1 2; y 0 1 0; a 0; b 0; nu 1; beta0 0; beta1 0"
/* Two atoms of weights 2 and 3 off one of weight 1. */
#define CELL                                                                                                           \
    "S=2,N=1,d=3", "", "atoms 1 2 3 0 3 4; truth 0 0 0; beta0 0.69314718055994531 1.0986122886681098; beta0star 0"
    const double bend = 0.25,
                 log_bend = 0.25 / log(2) - 0.25 / (log(2) * log(2)); /* softplus'' and (ln softplus)'' at 0 */
    const double q1 = (1 - w) / (1 - w / 2), q2 = w / 2 / (1 - w / 2), far = sqrt(14), q = sigmoid(6);
/* Normals of variance 1 whose means are 1 and 3 apart. */
#define DISTANT                                                                                                        \
    "n=2,N=1,S=1,d=1", "gate=softmax", "x 0 2; a 0; b 0; nu 1; beta0 0; beta1 0; qa 1; qb 1; qnu 1; qbeta0 0; qbeta1 0"
    const double h1 = 1 - exp(-1 / 8.0), h2 = 1 - exp(-9 / 8.0), tv = (erf(1 / sqrt(8)) + erf(3 / sqrt(8))) / 2;
    const by_formula row[] = {
        {"convergence.distance", DISTANT, NULL, "hellinger", {sqrt((h1 + h2) / 2)}},
        {"convergence.distance", DISTANT, "HellingerSquared", "hellinger", {(h1 + h2) / 2}},
        {"convergence.distance", DISTANT, "HellingerMeanOfRoots", "hellinger", {(sqrt(h1) + sqrt(h2)) / 2}},
        {"convergence.distance", DISTANT, NULL, "tv", {tv}},
        {"convergence.distance", DISTANT, "TvNoHalf", "tv", {2 * tv}},
        {"convergence.density", MIXTURE "; d_logp 1", NULL, "d_a", {-q1 + (q1 - (1 - w)), q2 / 2 - (q2 - w)}},
        {"convergence.density", MIXTURE "; d_logp 1", "GateDetached", "d_a", {-q1, q2 / 2}},
        {"convergence.hvp", CURVED, NULL, "hb", {1, 0}},
        {"convergence.hvp", CURVED, "HvpGaussNewton", "hb", {2.0 / 3, -1.0 / 6}},
        {"convergence.hvp", BOWED("softplus-softmax"), NULL, "hb", {-2.0 / 3 + bend / 6, -1.0 / 12 - bend / 6}},
        {"convergence.hvp", BOWED("softplus-softmax"), "HvpNoSecond", "hb", {-2.0 / 3, -1.0 / 12}},
        {"convergence.hvp", BOWED("softplus"), NULL, "hb", {-2.0 / 3 + log_bend / 6, -1.0 / 12 - log_bend / 6}},
        {"convergence.hvp", BOWED("softplus"), "HvpNoSecond", "hb", {-2.0 / 3, -1.0 / 12}},
        {"convergence.em", HALVES, NULL, "db", {(3 * q - 1.5) / (1 + q), (4.5 - 3 * q) / (2 - q)}},
        {"convergence.em", HALVES, "EmIgnoresGate", "db", {(2 * q - 1) / (1 + q), (5 - 4 * q) / (2 - q)}},
        {"convergence.em",
         LEVELS,
         NULL,
         "q",
         {sigmoid(0.5), 1 - sigmoid(0.5), sigmoid(0.5), 1 - sigmoid(0.5), sigmoid(0.5), 1 - sigmoid(0.5)}},
        {"convergence.em",
         LEVELS,
         "ResponsibilityNoGate",
         "q",
         {sigmoid(1.5), 1 - sigmoid(1.5), sigmoid(1.5), 1 - sigmoid(1.5), sigmoid(1.5), 1 - sigmoid(1.5)}},
        {"convergence.em", ALONE, NULL, "variance", {2.0 / 9}},
        {"convergence.em", ALONE, "EmUnbiasedVariance", "variance", {2.0 / 3}},
        {"convergence.oracle", "n=3,d=1", "experts=1", "x 0 1 2; y 0 1 0; label 0 0 0", NULL, "nu", {2.0 / 9}},
        {"convergence.oracle",
         "n=3,d=1",
         "experts=1",
         "x 0 1 2; y 0 1 0; label 0 0 0",
         "OracleUnbiased",
         "nu",
         {2.0 / 3}},
        {"convergence.voronoi", CELL, NULL, "exact", {4 + 2 * far + 3 * 5}},
        {"convergence.voronoi", CELL, NULL, "over", {4 + 2 * (1 + 16 + 9) + 3 * (81 + 16)}},
        {"convergence.voronoi", CELL, "VoronoiNoPowers", "over", {4 + 2 * far + 3 * 5}},
        {"convergence.voronoi", CELL, "VoronoiUnweighted", "exact", {4 + far + 5}},
        {"convergence.voronoi", CELL, "VoronoiUnweighted", "over", {4 + 26 + 97}},
        {"convergence.voronoi", CELL, "LastAtomZero", "exact", {2.0 / 3 + 2.0 / 3 * far + 5}},
        {"convergence.density", MIXTURE, NULL, "logp", {log(1 - w + w / 2) - 0.5 - ln2pi / 2}},
        {"convergence.density", MIXTURE, "GateSign", "logp", {log(1 - v + v / 2) - 0.5 - ln2pi / 2}},
        {"convergence.density",
         MIXTURE,
         "NuIsSigma",
         "logp",
         {log((1 - w) * exp(-0.5) + w / 4 * exp(-0.125)) - ln2pi / 2}},
        {"convergence.density", MIXTURE, "NoTwoPi", "logp", {log(1 - w + w / 2) - 0.5}},
        {"convergence.density", MIXTURE, "GateNotNormalised", "logp", {log(exp(1) + exp(2) / 2) - 0.5 - ln2pi / 2}},
        {"convergence.density", LEADING, NULL, "logp", {log(0.5) - 0.5 - ln2pi / 2}},
        {"convergence.density", LEADING, "TopKNoRenorm", "logp", {log(w / 2) - 0.5 - ln2pi / 2}},
        {"convergence.density",
         "n=1,N=2,d=1",
         "k=1",
         "x 1; y 0; a 1 -2; b 0 0; nu 1 4; beta0 3 0.5; beta1 0 0",
         "TopKAfterFree",
         "score_index",
         {4, 2.5}},
        {"convergence.loglik", MIXTURE, NULL, "loglik", {log(1 - w + w / 2) - 0.5 - ln2pi / 2}},
        {"convergence.loglik", MIXTURE, "NoTwoPi", "loglik", {log(1 - w + w / 2) - 0.5}},
        {"convergence.sample", DRAWN("0.25"), NULL, "y", {1 + 3}},
        {"convergence.sample", DRAWN("0.75"), NULL, "y", {-2 + 6}},
        {"convergence.sample", DRAWN("0.75"), "SampleNuIsSigma", "y", {-2 + 12}},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) follows(&row[i]);
}
END_TEST

/* One expert with all tokens has no collapse to measure, a place beyond the buffer no row: nothing is computed. */
START_TEST(what_has_no_meaning_is_refused)
{
    make("layer.collapse", "T=4,d=2", "experts=3");
    for (size_t t = 0; t < 4; t++) op_in_i64(c, "index")[t] = 1;
    ck_assert_int_eq(twin_run(c, NULL, NULL, 160, &r, err, sizeof err), -1);
    ck_assert_msg(strstr(err, "layer.collapse: one expert alone has tokens"), "%s", err);
    ck_assert_uint_eq(r.out[0].count, 0);
    done();
    make("layer.combine", "T=2,d=1,K=1,N=2,C=2", "");
    for (size_t t = 0; t < 2; t++) op_in_i64(c, "slot")[t] = (int64_t)t;
    run(NULL, NULL);
    twin_result_clear(&r);
    op_in_i64(c, "slot")[1] = 2;
    ck_assert_int_eq(twin_run(c, NULL, NULL, 160, &r, err, sizeof err), -1);
    ck_assert_msg(strstr(err, "layer.combine: beyond the buffer: 'slot'"), "%s", err);
    ck_assert_uint_eq(r.out[0].count, 0);
    done();
}
END_TEST

START_TEST(no_variant_is_listed_twice)
{
    size_t rows = 0;
    for (const twin_variant *v = twin_variants; v->op; v++, rows++)
        for (const twin_variant *w = v + 1; w->op; w++)
            ck_assert_msg(strcmp(v->op, w->op) != 0 || strcmp(v->name, w->name) != 0, "%s of %s", v->name, v->op);
    ck_assert_msg(rows < TWIN_VARIANTS, "%zu rows: who asks by index has room for %d", rows, TWIN_VARIANTS);
}
END_TEST

/* What a variant does to one output or gradient, as a factor of the right value, on all of the tensor's elements. */
static void factor(const char *op, const char *dims, const char *param, const char *variant, const char *name,
                   bool gradient, double expected)
{
    make(op, dims, param);
    run(NULL, NULL);
    const size_t i = tensor(gradient ? c->op->in : c->op->out, name);
    twin_result right = r;
    run(NULL, variant);
    const twin_tensor *a = gradient ? &right.grad[i] : &right.out[i], *b = gradient ? &r.grad[i] : &r.out[i];
    for (size_t e = 0; e < a->count; e++)
        ck_assert_msg(fabs(b->hi[e] - expected * a->hi[e]) <= 1e-15 * fabs(a->hi[e]),
                      "%s of %s: %s is %g, not %g times %g", variant, op, name, b->hi[e], expected, a->hi[e]);
    twin_result_clear(&right);
    done();
}

START_TEST(variants_do_what_is_said_of_them)
{
    factor("balance.switch", "T=6,N=4", "k=2", "LblProbOverTK", "loss", false, 0.5);
    factor("balance.switch", "T=6,N=4", "k=2", "LblProbOverTK", "r", true, 0.5);
    factor("balance.switch", "T=6,N=4", "k=3", "LblTopKNorm", "loss", false, 3);
    factor("balance.switch", "T=6,N=4", "k=2", "LblGrad", "loss", false, 1);
    factor("balance.switch", "T=6,N=4", "k=2", "GradScale", "loss", false, 1);
    factor("balance.zloss", "T=6,N=4", "", "GradScale", "r", true, 0.5);
    factor("compete.diversity", "T=3,K=4,d=4", "", "DiversitySquare", "loss", false, 0.75);
    factor("compete.diversity", "T=3,K=4,d=4", "mean=square", "DiversityPairs", "o", true, 4.0 / 3);
    factor("compete.diversity", "T=3,K=4,d=4", "", "DiversitySum", "loss", false, 36);
    factor("compete.response", "T=3,N=2,d=4", "", "ResponseSum", "s", false, 4);
    factor("compete.distill", "T=3,N=4", "k=2", "TargetNotDetached", "r", true, 1);
    factor("compete.distill", "T=3,N=4", "k=2,version=1", "DistillExpertsSum", "loss", false, 4);
    factor("compete.distill", "T=4,N=4", "k=2,version=1,loss=kl", "DistillBatchSum", "r", true, 4);
    factor("compete.balance", "T=6,N=4", "k=2", "LblProbOverTK", "s", true, 0.5);
    factor("compete.balance", "T=6,N=4", "k=2", "LblTopKNorm", "loss", false, 2);
    factor("compete.step", "T=4,d=4,N=4,h=4", "k=2", "TaskSum", "task", false, 16);
    factor("compete.step", "T=4,d=4,N=4,h=4", "k=2", "TaskOverTokens", "task", false, 4);
    factor("compete.step", "T=4,d=4,N=4,h=4", "k=2,compete=no", "StaleLoss", "y", false, 1);
    factor("similarity.cka", "n=6,p=3,q=2", "", "GradScale", "x", true, 0.5);
    factor("similarity.hsic", "n=5,p=3,q=2", "", "HsicDivisor/none", "y", true, 16);
    factor("similarity.hsic", "n=6,p=3,q=2", "estimator=unbiased", "HsicDivisor/unbiased", "hsic", false, 0.6);
    factor("similarity.cosine", "n=5,d=3", "", "CosineSum", "value", false, 5);
    factor("similarity.cka", "n=6,p=3,q=2", "", "OneSideDetached", "y", true, 0);
    factor("layer.shared", "T=5,d=3,N=4,h=4,M=1", "k=2", "SharedHalf", "y", false, 0.5);
    factor("layer.fluctuation", "T=8", "", "FluctuationCount", "rate", false, 8);
    factor("simsmoe.loss", SHARING, "threshold=0", "PairsTwice", "loss", false, 2);
    factor("simsmoe.loss", SHARING, "threshold=0", "PairsReduce", "wp", true, 1.0 / 3);
    factor("simsmoe.loss", SHARING, "threshold=0,reduce=mean", "PairsReduce", "loss", false, 3);
    factor("simsmoe.loss", SHARING, "threshold=0", "ThresholdSubtracted", "w1", true, 1);
    factor("simsmoe.loss", SHARING, "threshold=0", "SimilarityDistance", "w2", true, -1);
}
END_TEST

START_TEST(without_the_combination_the_task_does_not_reach_the_router)
{
    make("layer.smoe", "T=5,d=3,N=4,h=4", "k=2");
    const op_value *weight = &c->cot[tensor(c->op->out, "weight")];
    memset(weight->f64, 0, weight->count * sizeof *weight->f64);
    run(NULL, "CombineGradNone");
    for (size_t e = 0; e < 12; e++) ck_assert(grad("wr", e) == 0);
    twin_result_clear(&r);
    run(NULL, NULL);
    ck_assert(grad("wr", 0) != 0);
    done();
}
END_TEST

/* Three tokens of one expert with two places: the last one lands on the last place, whose token is lost. */
START_TEST(overflow_may_be_clamped)
{
    make("layer.dispatch", "T=3,d=1,K=1", "experts=1,capacity=2");
    set(&c->in[0], 3, (const double[]){1, 2, 3});
    for (size_t t = 0; t < 3; t++) op_in_i64(c, "index")[t] = 0;
    run(NULL, "CapacityDrop/clamped");
    same("xe", 2, (const double[]){1, 3});
    same("slot", 3, (const double[]){0, 1, 1});
    twin_result_clear(&r);
    run(NULL, NULL);
    same("xe", 2, (const double[]){1, 2});
    same("slot", 3, (const double[]){0, 1, -1});
    done();
}
END_TEST

/* p = (4 1 3)/8: the first two choices are the experts 0 and 2, wherever the runner-up stands. */
START_TEST(a_runner_up_is_counted)
{
    const double logits[3][3] = {{log(4), 0, log(3)}, {log(3), log(4), 0}, {0, log(3), log(4)}};
    for (size_t k = 0; k < 3; k++) {
        make("balance.gshard", "T=1,N=3", "form=paper");
        set(&c->in[0], 3, logits[k]);
        decide();
        run(NULL, "GShardCountAll");
        ck_assert_double_eq_tol(out("loss", 0), (4 + 3) / 24.0, 1e-15);
        done();
    }
}
END_TEST

START_TEST(double_softmax_confines_the_weights)
{
    make("gate.weights", "T=4,N=5", "k=2");
    run(NULL, "DoubleSoftmaxWeights");
    for (size_t e = 0; e < 8; e++) {
        const double w = out("weight", e);
        ck_assert_msg(w >= 1 / (1 + exp(1)) && w <= exp(1) / (1 + exp(1)), "%g", w);
    }
    done();
}
END_TEST

START_TEST(a_missing_bias_is_missing)
{
    make("expert.relu", "T=3,d=4,h=5", "");
    run(NULL, NULL);
    twin_result right = r;
    run(NULL, "MissingBias");
    for (size_t t = 0; t < 3; t++)
        for (size_t j = 0; j < 4; j++)
            ck_assert_double_eq_tol(right.out[0].hi[t * 4 + j] - r.out[0].hi[t * 4 + j], op_in(c, "b2")[j], 1e-14);
    twin_result_clear(&right);
    done();
}
END_TEST

/* Experts whose outputs are one row of few bits, on a power of two of tokens: no way of centring leaves anything, and the pair is out
 * for certain.  On three tokens, with more bits, or with rows that differ, rounding may leave what it likes. */
START_TEST(plainly_constant_outputs_are_certain)
{
    static const struct {
        const char *dims;
        double b2;
        bool certain;
    } row[] = {{"T=4,d=3,N=2,K=2,h=4,g=3,p=3", 0.5, true},
               {"T=3,d=3,N=2,K=2,h=4,g=3,p=3", 0.5, false},
               {"T=4,d=3,N=2,K=2,h=4,g=3,p=3", 0.1, false}};
    for (size_t i = 0; i < 3; i++) {
        make("simsmoe.loss", row[i].dims, "kind=linear,threshold=0");
        for (size_t k = 0; c->op->in[k].name; k++) {
            const char *name = c->op->in[k].name;
            for (size_t e = 0; c->in[k].f64 && e < c->in[k].count; e++)
                if (strcmp(name, "w2") == 0)
                    c->in[k].f64[e] = 0;
                else if (strcmp(name, "b2") == 0)
                    c->in[k].f64[e] = row[i].b2;
                else if (strcmp(name, "wp") == 0)
                    c->in[k].f64[e] = 1;
                else if (strcmp(name, "bp") == 0)
                    c->in[k].f64[e] = 0.25;
        }
        run("f32", NULL);
        const twin_tensor *active = &r.out[tensor(c->op->out, "active")];
        ck_assert_msg((active->rad[1] == 0) == row[i].certain, "row %zu: %g +- %g", i, active->hi[1], active->rad[1]);
        if (row[i].certain) ck_assert(active->hi[1] == 0);
        done();
    }
}
END_TEST

/* --- what a chapter allows besides --------------------------------------------------------------------------------
 *
 * Some roundings are not those of the twin's own order but of another one that is right too; comments in the chapters say which.
 * Each is looked at on numbers that leave little else to err: where all results are exact the radius is the allowance alone. */

static void put(const char *name, size_t n, const double *x) { set(&c->in[tensor(c->op->in, name)], n, x); }

static void run_in(const twin_profile *p)
{
    ck_assert_msg(twin_run(c, p, NULL, 160, &r, err, sizeof err) == 0, "%s", err);
}

static double bound(const char *name, size_t e) { return r.out[tensor(c->op->out, name)].rad[e]; }

/* The radii of the row (0 -2) as a_softmax_by_hand derives them. */
#define EXP_2 0.1353352832366127
#define LOG_S 0.1269280110429726
static double lse_units(int e) { return 1 + e * EXP_2 / (1 + EXP_2) + e * LOG_S + LOG_S; }

/* A mix of 3/4 of 1.5 and 3 with 1/4 of 0.75 and 2.5 is exact; by s + share (r - s) there are 3 of both. */
START_TEST(a_mix_may_be_one_of_a_difference)
{
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        make("compete.mix", "T=1,N=2,d=1", "kind=relu,share=0.25");
        put("o", 2, (const double[]){1.5, 3});
        put("r", 2, (const double[]){0.75, 2.5});
        run_in(p);
        ck_assert(out("s", 0) == 1.3125 && out("s", 1) == 2.875);
        is_units(bound("s", 0), p, 3 * 2.25, "a mix of 1.5 and 0.75");
        is_units(bound("s", 1), p, 3 * 5.5, "a mix of 3 and 2.5");
        done();
    }
}
END_TEST

/* Loads of 3 and 1, the mean 2: (3 - 2) / 2 is exact.  By 3/2 - 1, four of 3/2.  */
START_TEST(a_violation_may_be_a_quotient_less_one)
{
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        make("layer.load", "T=4,N=2", "k=1");
        put("r", 8, (const double[]){1, 0, 1, 0, 1, 0, 0, 1});
        decide();
        run_in(p);
        ck_assert(out("max_violation", 0) == 0.5);
        is_units(bound("max_violation", 0), p, 4 * 1.5, "a violation");
        done();
    }
}
END_TEST

/* As in change_by_hand: 1 - 1/3 with two of a third and one of the difference, half of that (a sum with 0 is exact) with one more,
 * and four of 1. */
START_TEST(a_change_may_be_one_less_a_mean)
{
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        make("layer.change", "T=2,K=2", "measure=jaccard");
        memcpy(c->in[0].i64, (const int64_t[]){0, 1, 0, 1}, 4 * sizeof(int64_t));
        memcpy(c->in[1].i64, (const int64_t[]){1, 0, 0, 2}, 4 * sizeof(int64_t));
        run_in(p);
        is_units(bound("rate", 0), p, (2 / 3.0 + 2 / 3.0) / 2 + 1 / 3.0 + 4, "a change");
        done();
    }
}
END_TEST

/* Importances 1 and 3: Var 1, mean 2, CV^2 1/4, exactly; the square of sqrt(Var) / mean has six more. */
START_TEST(a_variation_may_be_a_square)
{
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        make("balance.importance", "T=1,N=2", "epsilon=0");
        put("g", 2, (const double[]){1, 3});
        run_in(p);
        ck_assert(out("loss", 0) == 0.25 && bound("importance", 0) == 0);
        is_units(bound("loss", 0), p, 6 * 0.25, "a squared coefficient of variation");
        done();
    }
}
END_TEST

/* Three tokens, two of them to expert 0: the excess is 4/3 - 1 and 2/3 - 1, where a share has two of its own and three more for other
 * ways to the difference, which has one.  The gate sigmoid(0) = 1/2 has 2 w and e of itself. */
START_TEST(an_excess_is_a_difference)
{
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        const double gate = 1 + 0.5 * i, first = 8 / 3.0 + 1 / 3.0 + 4, second = 4 / 3.0 + 1 / 3.0 + 2;
        make("balance.stable", "T=3,N=2", "alpha=1");
        put("s", 6, (const double[]){0, -4, 0, -4, -4, 0});
        decide();
        run_in(p);
        /* of each token the gate, the excess, a product of 1/6 and once more 1/6 for who adds first; the sum of 1/6 -1/6 1/6 */
        const double tokens = gate + first + second / 2 + 3 * 2 / 6.0;
        is_units(bound("loss", 0), p, tokens + (i ? 1 / 6.0 : 2 * 0.5) + 1 / 6.0, "a loss");
        done();
    }
}
END_TEST

/* Loads that all equal their mean, which is not known to be exact: whether a bias goes up or down by gamma nobody can say. */
START_TEST(the_sign_at_the_mean_is_open)
{
    make("balance.deepseek.bias", "N=3", "gamma=0.0009765625");
    put("load", 3, (const double[]){1, 1, 1});
    put("bias", 3, (const double[]){1, 2, 0.5});
    run("f64", NULL);
    for (size_t e = 0; e < 3; e++) {
        ck_assert(fabs(out("updated", e) - c->in[1].f64[e]) < 1e-15);
        ck_assert_msg(fabs(bound("updated", e) * 0x1p10 - 1) < 1e-7, "%.12g steps", bound("updated", e) * 0x1p10);
    }
    twin_result_clear(&r);
    put("load", 3, (const double[]){1, 2, 0});
    run("f64", NULL);
    ck_assert(out("updated", 0) == 1 || bound("updated", 0) > 0);
    ck_assert(out("updated", 1) == 2 - 0x1p-10 && out("updated", 2) == 0.5 + 0x1p-10);
    ck_assert_msg(bound("updated", 1) < 1e-15 && bound("updated", 2) < 1e-15, "below and above there is no doubt");
    done();
}
END_TEST

/* lambda at t = 1 is 2 / (2 + sqrt 2) = 0.5857864376269049; at t = 3 it is 1/2. */
START_TEST(a_coin_at_lambda_is_open)
{
    make("compete.lambda", "n=5", "");
    put("t", 5, (const double[]){1, 1, 1, 3, 3});
    put("u", 5, (const double[]){0.5857864376269049, 0.585, 0.587, 0.501, 0.499});
    run("f32", NULL);
    ck_assert_msg(bound("compete", 0) >= 1 && bound("compete", 0) < 1.001, "%g", bound("compete", 0));
    const double sure[] = {1, 0, 0, 1};
    for (size_t e = 1; e < 5; e++)
        ck_assert_msg(out("compete", e) == sure[e - 1] && bound("compete", e) == 0, "coin %zu", e);
    done();
}
END_TEST

/* (3 4)/5 and (4 3)/5: each has the norm's roundings, as in norms_and_distances_by_hand, and two of a quotient.  Their product is 24/25,
 * twice that the only pair's, and the mean of K (K - 1) = 2 that once.  Who takes the diagonal off the Gram matrix's sum errs by four
 * of K besides, before the mean. */
START_TEST(pairs_may_be_a_sum_less_its_diagonal)
{
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        make("compete.diversity", "T=1,K=2,d=2", "");
        put("o", 4, (const double[]){3, 4, 4, 3});
        run_in(p);
        ck_assert_double_eq_tol(out("loss", 0), 0.96, 1e-9);
        const double u = 0.5 * ((i ? 0 : 3) + 2) + 3, each = (2 * (u + 2) + 1) * 0.96 + 0.96;
        is_units(bound("loss", 0), p, (2 * each + 1.92 + 8) / 2 + 0.96, "a diversity");
        done();
    }
}
END_TEST

/* log softmax of (0 -2) less itself: the difference of two that err by a logsumexp, a difference, and by 2 e + 4 w + (e + w) |l| for who
 * takes the logarithm of p; each times its probability. */
START_TEST(a_logarithm_of_a_softmax_by_hand)
{
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        make("compete.distill", "T=1,N=2", "k=2,version=1,loss=kl");
        put("r", 2, (const double[]){0, -2});
        put("s", 2, (const double[]){0, -2});
        decide();
        run_in(p);
        const double l[2] = {LOG_S, 2 + LOG_S}, q[2] = {1 / (1 + EXP_2), EXP_2 / (1 + EXP_2)};
        double want = 0;
        for (int j = 0; j < 2; j++) want += 2 * q[j] * (lse_units(i) + l[j] + 2 * i + 4 + (i + 1) * l[j]);
        ck_assert(fabs(out("loss", 0)) < 1e-30);
        is_units(bound("loss", 0), p, want, "a divergence of equals");
        done();
    }
}
END_TEST

/* The cross entropy of (0 -2) and the first: a logsumexp, less 0, and 2 e + 4 w + (e + 3 w) of it for who takes a logarithm of p. */
START_TEST(a_cross_entropy_by_hand)
{
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        make("gate.stable.distill", "T=1,V=1,m=1,N=2", "");
        put("table", 1, (const double[]){1});
        put("ehat", 2, (const double[]){0, -2});
        c->in[tensor(c->op->in, "target")].i64[0] = 0;
        run_in(p);
        is_units(bound("loss", 0), p, lse_units(i) + LOG_S + 2 * i + 4 + (i + 3) * LOG_S, "a cross entropy");
        done();
    }
}
END_TEST

/* Equal logits: p = 1/2 with (e + w) ln 2 of itself, for who takes exp(r - lse); p and ln p have that each on its own,
 * p ln p then 1 + |ln p| of it, e and 2 w; they are added, turned round, and 4 w (|r| + ln 2) + 2 e is for logarithms by r - lse. */
START_TEST(an_entropy_by_hand)
{
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        const double ln2 = 0.6931471805599453, off = (i + 1) * ln2 / 2, each = (1 + ln2) * off + (i + 2) * ln2 / 2;
        make("gate.entropy", "T=1,N=2", "");
        put("r", 2, (const double[]){0, 0});
        run_in(p);
        ck_assert_double_eq_tol(out("entropy", 0), ln2, 1e-15);
        is_units(bound("entropy", 0), p, 2 * each + 2 * ln2 + 4 * ln2 + 2 * i, "an entropy");
        done();
    }
}
END_TEST

/* z = (1.5 2), v2 = (2 -3): w = 3 - 6, exactly, and two of 3 + 6 for x v2 first; r = 1.5 w has one.  Back, w's gradient 1.5 has two
 * more, its products with v2 one each; the gradient of e is 1.5 * 3 - 2 * 4.5. */
START_TEST(a_generated_weight_by_hand)
{
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        make("gate.hyper", "T=1,d=1,N=1,m=1,g=2", "");
        put("x", 1, (const double[]){1.5});
        put("e", 1, (const double[]){1});
        put("v1", 2, (const double[]){1.5, 2});
        put("v2", 2, (const double[]){2, -3});
        set(&c->cot[0], 1, (const double[]){1});
        run_in(p);
        ck_assert(out("r", 0) == -4.5 && grad("e", 0) == -4.5);
        is_units(bound("r", 0), p, 1.5 * 18 + 4.5, "a logit");
        is_units(r.grad[tensor(c->op->in, "e")].rad[0], p, 1.5 * 9 + 2 * 13.5 + (i ? 4.5 : 2 * 13.5), "its gradient");
        done();
    }
}
END_TEST

/* Two points at a distance of 1, whose square errs by R (norms_and_distances_by_hand): sigma^2 has one of its own; the exponent
 * -1/2 has that, a product with 2, two of a quotient and one more. */
START_TEST(a_kernel_by_hand)
{
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        const double R = i ? 4 : 19, y = 0.6065306597126334;
        make("similarity.kernel", "n=2,p=1", "kernel=rbf,bandwidth=absolute,sigma=1");
        put("x", 2, (const double[]){-0.5, 0.5});
        run_in(p);
        is_units(bound("bandwidth", 0), p, 1, "sigma squared");
        is_units(bound("gram", 1), p, y * 0.5 * (R + 2 + 2 + 1) + i * y, "exp(-1/2)");
        done();
        make("similarity.kernel", "n=2,p=1", "kernel=rbf,bandwidth=median,diagonal=without,sigma=0.5");
        put("x", 2, (const double[]){-0.5, 0.5});
        run_in(p);
        ck_assert(out("bandwidth", 0) == 0.25);
        is_units(bound("bandwidth", 0), p, (R + 2 + 1 + 2) / 4,
                 "a median: a root and a square, a product, and two more");
        done();
    }
}
END_TEST

/* Three tokens: experts 0 and 1 share two, 0 and 2 one.  A third has two, a sum one, adding a third each time one for each, and
 * the product with 1 of what is not reset one. */
START_TEST(a_counter_may_be_added_to_by_token)
{
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        make("simsmoe.pairs", "T=3,K=2,N=3", "unit=fraction");
        memcpy(c->in[tensor(c->op->in, "index")].i64, (const int64_t[]){0, 1, 1, 0, 2, 0}, 6 * sizeof(int64_t));
        put("counter", 9, (const double[]){0, 1, 1, 0, 0, 0, 0, 0, 0});
        run_in(p);
        is_units(bound("next", 1), p, 4 / 3.0 + 5 / 3.0 + 2 * 5 / 3.0 + 5 / 3.0, "1 + 2/3");
        is_units(bound("next", 2), p, 2 / 3.0 + 4 / 3.0 + 4 / 3.0 + 4 / 3.0, "1 + 1/3");
        ck_assert(bound("next", 5) == 0 && bound("next", 0) == 0);
        done();
    }
}
END_TEST

/* p and q of k Gaussians each, all the same but for their places: T.8, "Roundings".  14 standard deviations are looked at. */
static void gaussians(const char *dims, size_t k, double at, double other, double variance)
{
    make("convergence.distance", dims, "gate=softmax,free=yes");
    for (size_t i = 0; c->op->in[i].name; i++)
        for (size_t e = 0; e < c->in[i].count; e++) c->in[i].f64[e] = 0;
    for (size_t i = 0; i < k; i++) {
        op_in(c, "b")[i] = at;
        op_in(c, "qb")[i] = other;
        op_in(c, "nu")[i] = op_in(c, "qnu")[i] = variance;
    }
}

/* In the fine profile a model's roundings count: eta = 1.01 (A + B + 11), where with |c| <= 1 + |ln nu| / 2
 *
 *   one atom, nu 1    A = 4 + 2 + 11 + 40 = 57, B = 3 * 14
 *   two of them       A = 4 (1 + ln 2) + 2 + 22 + 40; and ln(1/2) has one of the sum with the maximum and one of the difference, 2 ln 2
 *   nu = 4            A = 4 (1 + ln 2) + 2 (1 + ln 2) + 6 ln 4 + 11 + 40, B = 3 * 28 / 2
 *   2 apart           A = 57, B = 3 * 16; V = 0.682689, h^2 = 0.393469, as in the spec's example; 1,100 of V and of h for sums
 *
 * of each of two models, half of it in V and a root of a half in h; 2^-40 for a quadrature. */
START_TEST(a_distance_errs_by_its_models)
{
    const double ln2 = 0.6931471805599453, root = 1.4142135623730951;
    const double A[4] = {57, 4 * (1 + ln2) + 64, 6 * (1 + ln2) + 12 * ln2 + 51, 57}, B[4] = {42, 42, 42, 48};
    for (int k = 0; k < 4; k++) {
        const double eta = 1.01 * (A[k] + B[k] + 11), V = k == 3 ? 0.6826894921 : 0,
                     h = k == 3 ? sqrt(1 - exp(-0.5)) : 0;
        const double dl = k == 1 ? 2 * ln2 : 0, in_h = root * eta + dl / root + 1 + 1100 * h;
        gaussians(k == 1 ? "n=1,d=1,N=2,S=2" : "n=1,d=1,N=1,S=1", k == 1 ? 2 : 1, 0, k == 3 ? 2 : 0, k == 2 ? 4 : 1);
        run_in(&fine);
        ck_assert(fabs(out("variation", 0) - V) < 1e-9 && fabs(out("square", 0) - h * h) < 1e-9);
        is_units(bound("variation", 0), &fine, eta + dl + 1 + 1101 * V, "V");
        is_units(bound("square", 0), &fine, 2 * h * in_h + h * h + in_h * in_h * 0x1p-40, "h^2");
        is_units(bound("hellinger", 0), &fine, in_h + 9 * h, "h");
        done();
    }
}
END_TEST

/* In the coarse profile the parameters count: a place of 1 and a variance of 1 that are read with one rounding, the place with one more
 * of a sum, are worth 2 / sqrt(2 pi) and 1/4 in V, 2 / sqrt 8 and 1/4 in h; ln(1/2), with ln 2 of a logarithm and twice that of sums, a
 * half and 1 / (2 sqrt 2) of its 3 ln 2.  Of each of two models. */
START_TEST(a_distance_errs_by_its_parameters)
{
    const double dl = 3 * 0.6931471805599453, off = 1 + 0x1p-45;
    gaussians("n=1,d=1,N=1,S=1", 1, off, off, off);
    run_in(&coarse);
    is_units(bound("variation", 0), &coarse, 2 * (2 / sqrt(6.283185307179586) + 0.25), "V by places and variances");
    is_units(bound("hellinger", 0), &coarse, 2 * (2 / sqrt(8) + 0.25), "h by places and variances");
    done();
    gaussians("n=1,d=1,N=2,S=2", 2, 0, 0, 1);
    run_in(&coarse);
    is_units(bound("variation", 0), &coarse, 2 * dl / 2, "V by weights");
    is_units(bound("hellinger", 0), &coarse, 2 * dl / sqrt(8), "h by weights");
    done();
    /* to first order: beyond a roundoff of a hundredth of 57 + 15 * 42 + 1200 nothing is known; worse elementary functions count as one */
    for (int digits = 17; digits <= 18; digits++)
        for (int ulp = 4; ulp <= 8; ulp += 4) {
            const twin_profile p = {"x", FORMAT(digits), FORMAT(digits), ulp, false, NULL};
            gaussians("n=1,d=1,N=1,S=1", 1, 0, 0, 1);
            run_in(&p);
            ck_assert(isfinite(bound("variation", 0)) == (digits == 18 && ulp == 4));
            ck_assert(isfinite(bound("hellinger", 0)) == (digits == 18 && ulp == 4));
            done();
        }
    /* there the sums of 2 normals 2 apart show, 1100 u / (1 - 1100 u) of V, beside 1.01 (57 + 48 + 11) of the models */
    const twin_profile few = {"few", FORMAT(18), FORMAT(18), 4, false, NULL};
    const double u = 0x1p-18, V = 0.6826894921, sums = 1100 / (1 - 1100 * u);
    gaussians("n=1,d=1,N=1,S=1", 1, 0, 2, 1);
    run_in(&few);
    is_units(bound("variation", 0), &few, 1.01 * 116 + (sums + 1) * V, "V in few digits");
    done();
}
END_TEST

/* Groups of 2, 4 and 2 of 8 with the means (0 0), (4 0) and (4 4).  Of the last two D = (4 0; 4 4), D D^T = 16 (1 1; 1 2), the shares are
 * 1/2 and 1/4, M = (4 -2; -2 3) / 16, M^-1 = (6 4; 4 8).  |Sb|^2 = Tr (M D D^T)^2 = Tr (2 0; 1 4)^2 = 20, and |Sb^+|^2 = Tr (M^-1 (D D^T)^-1)^2
 * = Tr ((8 -2; 0 4) / 16)^2 = 5/16.  Sb^+ = (3 -1; -1 3) / 8, so the tokens (1 1) beside a mean have 1/2, and (1 -1) have 1: rc = (2/2 + 2) / 8.
 * The mean square of the states is 17, within the groups 1.  Stored: rc (4 * 5/2 + 4 sqrt(17 |Sb|) |Sb^+| + 8) + 4 sqrt(17) |Sb^+|; not
 * stored, in 8 + 32 roundoffs: 17 |Sb^+| (1 + rc) + 5/2 rc. */
START_TEST(a_collapse_of_three_groups_errs_by_its_condition)
{
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        make("layer.collapse", "T=8,d=2", "experts=3");
        set(&c->in[0], 16, (const double[]){-1, -1, 1, 1, 5, -1, 3, 1, 4, 0, 4, 0, 4, 4, 4, 4});
        memcpy(c->in[1].i64, (const int64_t[]){0, 0, 1, 1, 1, 1, 2, 2}, 8 * sizeof(int64_t));
        run_in(p);
        const double rc = 0.375, inverse = sqrt(5) / 4, mean = sqrt(17),
                     stored = rc * (10 + 4 * mean * sqrt(sqrt(20)) * inverse + 8) + 4 * mean * inverse,
                     arithmetic = 40 * (17 * inverse * (1 + rc) + 2.5 * rc);
        ck_assert(out("rc", 0) == rc);
        is_units(bound("rc", 0), p, stored + (i ? 0 : arithmetic), "a collapse of three groups");
        done();
    }
}
END_TEST

/* The gradient 1 of the logsumexp of one number m: who takes exp(m - lse) has a rounded lse there, twice 2 |m|. */
START_TEST(a_logsumexp_s_gradient_errs_by_its_size)
{
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        double rad[2];
        for (int k = 0; k < 2; k++) {
            make("numerics.logsumexp", "T=1,N=1", "");
            set(&c->in[0], 1, (const double[]){k ? 21 : 5});
            set(&c->cot[0], 1, (const double[]){1});
            run_in(p);
            ck_assert(grad("z", 0) == 1);
            rad[k] = r.grad[0].rad[0];
            done();
        }
        is_units(rad[1] - rad[0], p, 2 * (21 - 5), "16 more");
        is_units(rad[0], p, 2 * (5 + i) + (i ? 3 : 5) + 2 * 5 + 3 + i, "a gradient");
    }
}
END_TEST

/* Four groups, of which the first is ahead, the next two are equal and the last is behind, or the other way round.  Of the best two one
 * is in doubt, unless equals go by their numbers; of the best three, or the best, none is. */
START_TEST(groups_stand_by_rank)
{
    for (int turned = 0; turned < 2; turned++)
        for (int best = 1; best <= 3; best++)
            for (int exact = 0; exact < 2; exact++) {
                char all[64];
                snprintf(all, sizeof all, "k=1,groups=4,topk_groups=%d", best);
                make("gate.deepseek", "T=1,d=1,N=8", all);
                level("x", 0);
                for (int i = 0; i < 8; i++)
                    op_in(c, "bias")[i] = (i < 2 ? 0.25 : i > 5 ? -0.25 : 0) * (turned ? -1 : 1);
                decide();
                run(exact ? NULL : "f32", NULL);
                const twin_tensor *s = &r.score[tensor(c->op->out, "index")];
                for (int g = 0; g < 4; g++) {
                    const bool first = turned ? g == 3 : g == 0, last = turned ? g == 0 : g == 3,
                               open = best == 2 && !first && !last && !exact,
                               in = first || best == 3 ? !last : best == 2 && g == 1;
                    for (int i = 2 * g; i < 2 * g + 2; i++)
                        if (open)
                            ck_assert_msg(isinf(s->rad[i]), "expert %d, best %d: not known", i, best);
                        else
                            ck_assert_msg(isfinite(s->rad[i]) && (s->hi[i] > -1) == in, "expert %d, best %d", i, best);
                }
                done();
            }
}
END_TEST

/* Two scores of 1/2 + 1/2 in each group err by one roundoff of the gate and one of the sum, their sum 2 by two of its ends, 2 + 2: 12
 * roundoffs each.  So a lead of 22 may be nothing, one of 26 is one. */
START_TEST(groups_err_by_their_sums)
{
    for (int k = 11; k <= 13; k += 2) {
        make("gate.deepseek", "T=1,d=1,N=4", "k=1,groups=2,topk_groups=1");
        level("x", 0);
        for (int i = 0; i < 4; i++) op_in(c, "bias")[i] = 0.5 + (i > 1 ? k * 0x1p-40 : 0);
        decide();
        run_in(&fine);
        for (int i = 0; i < 4; i++)
            ck_assert_msg(isfinite(r.score[tensor(c->op->out, "index")].rad[i]) == (k == 13), "a lead of %d", 2 * k);
        done();
    }
}
END_TEST

/* An atom 2 away along its first axis, to the power 17, and one at the true place.  The norm of (2) has half of two roundings of a
 * square and two stores, two of the root and a store, as in norms_and_distances_by_hand; the logarithm of 2 errs by that and by e of
 * itself, 17 times it by a roundoff: in the exponential these are relative, and it has an e itself.  17 more are for who multiplies.
 * Then two sums with the powers of the other axes, which are 0, the product with the weight 1 and the sum with the weights' error. */
START_TEST(a_high_power_may_be_a_product)
{
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        const double ln2 = 0.6931471805599453, norm = 0.5 * ((i ? 0 : 2) + 2) + 3;
        make("convergence.voronoi", "S=2,N=1,d=3", "powers=fixed,slope=17");
        for (size_t k = 0; c->op->in[k].name; k++)
            for (size_t e = 0; e < c->in[k].count; e++) c->in[k].f64[e] = 0;
        op_in(c, "atoms")[0] = 2;
        op_in(c, "atoms")[2] = op_in(c, "atoms")[5] = op_in(c, "truth")[2] = 1;
        decide();
        run_in(p);
        ck_assert_double_eq_tol(out("over", 0), 131073, 1e-3);
        is_units(bound("over", 0) / 131072, p, 17 * (norm + i * ln2) + 17 * ln2 + i + 17 + 4, "2 to the power 17");
        done();
    }
}
END_TEST

static double grad_bound(const char *name, size_t e) { return r.grad[tensor(c->op->in, name)].rad[e]; }

static void cotangent(const char *name, size_t n, const double *x) { set(&c->cot[tensor(c->op->out, name)], n, x); }

/* One probability, 1 whatever its logit: its gradient 1 has three more for an exp(z - lse) that is stored.  The numerator's share has
 * one of a quotient by 1, the denominator's two of a product and one of a quotient; their sum is 0, and the maximum is to blame for as
 * much again. */
START_TEST(a_softmax_s_gradient_by_hand)
{
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        make("numerics.softmax", "T=1,N=1", "");
        set(&c->in[0], 1, (const double[]){5});
        cotangent("p", 1, (const double[]){1});
        run_in(p);
        is_units(grad_bound("z", 0), p, 2 * (3 + 1 + 3 + 3), "of one");
        ck_assert_msg(bound("p", 0) > 0 && bound("p", 0) < 1e-8 * unit_of(p), "1, but not known to be");
        done();
        /* of two equals: 1/2, and exp(z - lse) has (e + w) ln 2 too */
        const double off = (i + 1) * 0.6931471805599453, s = 0.25 * (off + 3) + 2 * 0.25 + 0.25,
                     each = s + 0.25 * (i + 2) + 0.25 * off, first = each + 0.5 * (off + 3) + 0.5 + 0.25;
        make("numerics.softmax", "T=1,N=2", "");
        set(&c->in[0], 2, (const double[]){0, 0});
        cotangent("p", 2, (const double[]){1, 0});
        run_in(p);
        is_units(grad_bound("z", 0), p, first + (first + each) + (i ? 3 : 6) * 0.5, "of the first of two");
        is_units(grad_bound("z", 1), p, each + (first + each) + (i ? 3 : 6) * 0.5, "of the second");
        done();
    }
}
END_TEST

/* As in a_variation_may_be_a_square, V = 1 and S = 4: six of the cotangent 1.  The one of V, 1/4, has a quotient's one more, the one of S,
 * 1/16, two and one.  Of the mean squared, 1/4, the latter is 4 times that and two products; of the squares 1/8 each, the former is half
 * of that and one; of what they are squares of, 1/4, twice that and two.  The mean's are added and stored, halved with one more, and
 * added to these. */
START_TEST(a_variation_s_gradient_by_hand)
{
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        make("balance.importance", "T=1,N=2", "epsilon=0");
        put("g", 2, (const double[]){1, 3});
        cotangent("loss", 1, (const double[]){1});
        if (c->cot[tensor(c->op->out, "importance")].f64) cotangent("importance", 2, (const double[]){0, 0});
        run_in(p);
        const double V = 6 / 4.0 + 0.25, S = 6 / 16.0 + 2 / 16.0 + 1 / 16.0, squared = 4 * S + 2 * 0.25,
                     off = 2 * (V / 2 + 0.125) + 2 * 0.25, mean = squared + 2 * off + (i ? 0 : 0.5) + 0.25;
        is_units(grad_bound("g", 0), p, off + mean / 2 + 0.125 + 0.375, "-1/4 - 1/8");
        is_units(grad_bound("g", 1), p, off + mean / 2 + 0.125 + 0.125, "1/4 - 1/8");
        done();
    }
}
END_TEST

/* The logarithm of one probability, 0: its gradient 1 is a product with the other probability, which is 1 but not known to be, and so has
 * one; of it the logit has 2 e + 8 w more, and a logsumexp has all that twice with its own (a_logsumexp_s_gradient_errs_by_its_size). */
START_TEST(a_logarithm_s_gradient_by_hand)
{
    for (int i = 0; i < 2; i++) {
        const twin_profile *p = i ? &coarse : &fine;
        make("compete.distill", "T=1,N=1", "k=1,version=1,loss=kl");
        put("r", 1, (const double[]){0});
        put("s", 1, (const double[]){0});
        cotangent("loss", 1, (const double[]){1});
        run_in(p);
        const double off = 2 * i + 8 + 1;
        is_units(grad_bound("r", 0), p, 3 * off + 2 * (5 + i) + (i ? 3 : 5) + 3 + i, "a logit");
        done();
    }
}
END_TEST

/* 1/3 + 2/3, which is not known to exceed 1 nor not to: whether the pair is compared, anything from 0 to 1. */
START_TEST(a_counter_at_the_frequency_is_open)
{
    make("simsmoe.pairs", "T=3,K=2,N=3", "unit=fraction,frequency=1");
    memcpy(c->in[tensor(c->op->in, "index")].i64, (const int64_t[]){0, 1, 1, 0, 2, 0}, 6 * sizeof(int64_t));
    put("counter", 9, (const double[]){0, 1 / 3.0, 1 / 3.0, 0, 0, 0, 0, 0, 0});
    run("f32", NULL);
    ck_assert(out("selected", 1) == 0.5 && fabs(bound("selected", 1) - 0.5) < 1e-8);
    ck_assert(out("selected", 2) == 0 && bound("selected", 2) == 0);
    done();
}
END_TEST

/* The experts 0 and 1 share four tokens and 0 and 2 the other two, each pair alike.  The first is compared; for the second, 2/6 of the
 * tokens is what is asked for, which rounding decides: the sum is 1 or 2, their number 1 or 2, each on its own. */
START_TEST(a_mean_over_pairs_may_have_two_numbers)
{
    make("simsmoe.layer", "T=6,d=1,N=3,h=1,g=1,p=1",
         "k=2,kind=linear,threshold=0,reduce=mean,unit=fraction,frequency=0.33333333333333331");
    put_all("x 1 2 3 4 -1 -2; wr 0 1 -1; br 10 0 0; w1 1 1 1; b1 8 8 8; w2 1 1 1; b2 0 0 0; wh 0; bh 0; wp 1; bp 0; "
            "counter 0 5 0 0 0 0 0 0 0");
    run("f32", NULL);
    const double shared[] = {0, 4, 2, 0, 0, 0, 0, 0, 0}, selected[] = {0, 1, 0.5, 0, 0, 0, 0, 0, 0};
    for (size_t e = 0; e < 9; e++) ck_assert(out("shared", e) == shared[e] && out("selected", e) == selected[e]);
    ck_assert_double_eq_tol(out("similarity", 0), 1.5 * 0.75, 1e-4); /* 3/2 +- 1/2 times 3/4 +- 1/4 */
    ck_assert_double_eq_tol(bound("similarity", 0), 1.5 * 0.25 + 0.75 * 0.5 + 0.5 * 0.25, 1e-4);
    done();
}
END_TEST

/* Which token comes first says nothing of how many rows an expert is given, in pairs and in the layer, nor of what their sum may be off. */
START_TEST(bounds_know_no_order_of_tokens)
{
    const size_t rows = 7, wide = 3;
    static const char *const weight[] = {"w1", "b1", "w2", "b2", "wh", "bh", "wp", "bp"};
    double first[8][64] = {{0}}, was[3];
    make("simsmoe.layer", "T=7,d=3,N=3,h=2,g=2,p=2", "k=2,frequency=0,threshold=0");
    double *of_tokens[] = {op_in(c, "x"), c->cot[tensor(c->op->out, "y")].f64};
    for (size_t turn = 0; turn < rows; turn++) {
        decide();
        run("f32", NULL);
        for (size_t i = 0; i < 8; i++) {
            const twin_tensor *g = &r.grad[tensor(c->op->in, weight[i])];
            ck_assert(g->count <= 64);
            for (size_t e = 0; e < g->count; e++) {
                if (turn == 0) first[i][e] = g->rad[e];
                ck_assert_msg(g->rad[e] > 0 && fabs(g->rad[e] / first[i][e] - 1) < 1e-6, "d_%s[%zu]: %.9e, %zu tokens on %.9e",
                              weight[i], e, first[i][e], turn, g->rad[e]);
            }
        }
        twin_result_clear(&r);
        for (size_t i = 0; i < 2; i++) { /* the first token becomes the last */
            memcpy(was, of_tokens[i], sizeof was);
            memmove(of_tokens[i], of_tokens[i] + wide, (rows - 1) * sizeof was);
            memcpy(of_tokens[i] + (rows - 1) * wide, was, sizeof was);
        }
    }
    op_case_free(c);
}
END_TEST

/* Shares of 1/4 and 3/4 have their middles at 1/8 and 5/8; a draw of 1/2 is 3/8 and 1/8 from them. */
START_TEST(a_sample_s_scores_by_hand)
{
    make("convergence.sample", "n=1,d=1,N=2", "gate=softmax,free=yes");
    level("beta1", 0);
    level("u", 0.5);
    memcpy(op_in(c, "beta0"), (const double[]){0, log(3)}, 2 * sizeof(double));
    decide();
    run(NULL, NULL);
    const twin_tensor *s = &r.score[tensor(c->op->out, "label")];
    ck_assert_uint_eq(s->count, 2);
    ck_assert(fabs(s->hi[0] - (1 / 8.0 - 3 / 8.0)) < 1e-15 && fabs(s->hi[1] - (3 / 8.0 - 1 / 8.0)) < 1e-15);
    done();
}
END_TEST

/* So far from 0 that places are rounded by more than a deviation: the spec's example all the same. */
START_TEST(a_distance_is_found_far_out)
{
    gaussians("n=1,d=1,N=1,S=1", 1, 0x1p47, 0x1p47 + 2, 1);
    run(NULL, NULL);
    ck_assert(fabs(out("variation", 0) - 0.6826894921) < 1e-9 && bound("variation", 0) < 1e-9);
    ck_assert(fabs(out("square", 0) - (1 - exp(-0.5))) < 1e-9 && bound("square", 0) < 1e-9);
    done();
}
END_TEST

/* Atoms that are one in two and in three parts are no harder than one, however narrow: 1 - h^2 is sqrt(2 s t / (s^2 + t^2)) for deviations
 * s = 2^-40 and t = 1/4 about one mean. */
START_TEST(parts_of_one_atom_are_one)
{
    make("convergence.distance", "n=1,d=1,N=2,S=3", "gate=softmax,free=yes");
    put_all("x 1; a 0 0; b 0.125 0.125; nu 0.0625 0.0625; beta0 0 1; beta1 0 0; "
            "qa 0 0 0; qb 0.125 0.125 0.125; qbeta0 0 1 2; qbeta1 0 0 0");
    level("qnu", 0x1p-80);
    run(NULL, NULL);
    const double both = sqrt(2 * 0x1p-40 * 0.25 / (0x1p-80 + 0.0625));
    ck_assert_msg(fabs(out("square", 0) - (1 - both)) < 1e-15 && bound("square", 0) < 1e-15, "%.17g +- %g", out("square", 0), bound("square", 0));
    done();
}
END_TEST

/* At places of 2^60 the atoms at -2 and -1 are equally far off in double precision, and yet the second leads by e^(2^59): h^2 is 1. */
START_TEST(which_atom_leads_far_out)
{
    make("convergence.distance", "n=1,d=1,N=2,S=1", "gate=softmax,free=yes");
    put_all("x 1; a 0 0; b -2 -1; nu 2 2; beta0 0 0; beta1 0 0; qa 0; qbeta0 0; qbeta1 0");
    level("qb", 0x1p60);
    level("qnu", 0x1p60);
    run(NULL, NULL);
    ck_assert_msg(fabs(out("square", 0) - 1) < 1e-15 && bound("square", 0) < 1e-15, "%.17g +- %g", out("square", 0), bound("square", 0));
    done();
}
END_TEST

/* Of a deviation of 2^-500 about 1 nothing is seen, so of h^2 only that it lies between 0 and 1; V is a matter of two distribution functions. */
START_TEST(a_distance_that_is_not_seen_is_open)
{
    make("convergence.distance", "n=1,d=1,N=1,S=1", "gate=softmax,free=yes");
    put_all("x 1; a 0; b 1; nu 1; beta0 0; beta1 0; qa 0; qb 1; qbeta0 0; qbeta1 0");
    level("qnu", 0x1p-1000);
    run(NULL, NULL);
    ck_assert_msg(fabs(out("square", 0) - 0.5) < 1e-8 && fabs(bound("square", 0) - 0.5) < 1e-8, "%.17g +- %g", out("square", 0),
                  bound("square", 0));
    done();
}
END_TEST

/* At t = 3 the probability is 2 / (2 + 2); a coin of 1/2 is not below it. */
START_TEST(a_coin_at_its_probability_does_not_compete)
{
    make("compete.lambda", "n=2", "");
    level("t", 3);
    put("u", 2, (const double[]){0.5, 0x1.fffffffffffffp-2});
    run(NULL, NULL);
    ck_assert(out("lambda", 0) == 0.5 && bound("lambda", 0) == 0);
    ck_assert(out("compete", 0) == 0 && bound("compete", 0) == 0 && out("compete", 1) == 1 && bound("compete", 1) == 0);
    done();
}
END_TEST

/* A squared distance that may reach the largest number of the format is known, one that may be more is not. */
START_TEST(the_largest_distance_is_known)
{
    const double x[] = {-1.5, 1.5};
    twin_profile p = fine;
    tape *t = tape_new(&p, 200);
    const double most = tape_upper(tape_distances(t, vague(t, 2, 1, x)), 1);
    tape_free(t);
    for (int under = 0; under < 2; under++) {
        p.storage.largest = p.arithmetic.largest = under ? nextafter(most, 0) : most;
        t = tape_new(&p, 200);
        ck_assert(isfinite(radius(tape_distances(t, vague(t, 2, 1, x))->v + 1)) == !under);
        tape_free(t);
    }
}
END_TEST

/* Where no competition is held, the losses of the last one: those of the same tokens, if they competed. */
START_TEST(a_stale_loss_is_that_of_a_competition)
{
    double loss[2][2];
    for (int held = 0; held < 2; held++) {
        make("compete.step", "T=4,d=3,N=4,h=4", held ? "k=2,compete=yes" : "k=2,compete=no");
        run(NULL, held ? NULL : "StaleLoss");
        loss[held][0] = out("distill", 0);
        loss[held][1] = out("diversity", 0);
        done();
    }
    for (int k = 0; k < 2; k++) ck_assert_double_eq_tol(loss[0][k], loss[1][k], 1e-15);
}
END_TEST

/* The first token keeps both of its choices, the second the first alone: (1 + 4) / 2, and 2. */
START_TEST(what_is_kept_may_be_normalised)
{
    make("layer.combine", "T=2,d=1,K=2,N=2,C=2", "");
    put("o", 4, (const double[]){1, 2, 4, 8});
    put("weight", 4, (const double[]){0.25, 0.25, 0.5, 0.5});
    memcpy(op_in_i64(c, "index"), (const int64_t[]){0, 1, 0, 1}, 4 * sizeof(int64_t));
    memcpy(op_in_i64(c, "slot"), (const int64_t[]){0, 0, 1, -1}, 4 * sizeof(int64_t));
    run(NULL, NULL);
    ck_assert(out("y", 0) == 1.25 && out("y", 1) == 1);
    twin_result_clear(&r);
    run(NULL, "CapacityRenorm");
    ck_assert(out("y", 0) == 2.5 && out("y", 1) == 2);
    done();
}
END_TEST

/* The first token lost both of its choices and passes as it is, the second has its first one. */
START_TEST(what_is_lost_passes)
{
    make("layer.combine", "T=2,d=1,K=2,N=2,C=2", "overflow=pass");
    put("o", 4, (const double[]){1, 2, 4, 8});
    put("x", 2, (const double[]){3, 5});
    put("weight", 4, (const double[]){0.25, 0.25, 0.5, 0.5});
    memcpy(op_in_i64(c, "index"), (const int64_t[]){0, 1, 0, 1}, 4 * sizeof(int64_t));
    memcpy(op_in_i64(c, "slot"), (const int64_t[]){-1, -1, 1, -1}, 4 * sizeof(int64_t));
    run(NULL, NULL);
    ck_assert(out("y", 0) == 3 && out("y", 1) == 1);
    done();
}
END_TEST

/* Who U-centres K - 1 keeps it to a roundoff of 1, which meets the other kernel's e^-32: that is a route where some K_ij is 1/16 or more,
 * and the bound is a hundred times that of K itself.  A pair at a distance of 2.3 has 0.07, one at 2.5 has 0.04. */
START_TEST(a_kernel_less_one_is_a_route_of_near_pairs)
{
    static const double apart_by[] = {2.3, 2.5};
    for (size_t place = 0; place < 4; place++)
        for (int far = 0; far < 2; far++) {
            double x[5] = {0, 8, 16, 24, 32};
            make("similarity.hsic", "n=5,p=1,q=1", "kernel=rbf,sigma=1,estimator=unbiased,divide=none");
            put("x", 5, x);
            put("y", 5, x);
            for (size_t i = place + 1; i < 5; i++) x[i] -= 8 - apart_by[far];
            put(place % 2 ? "x" : "y", 5, x);
            run_in(&fine);
            const double units = bound("hsic", 0) / unit_of(&fine);
            ck_assert_msg(far ? units < 2e-11 : units > 2e-10, "a pair %g apart at %zu: %g units", apart_by[far], place,
                          units);
            done();
        }
}
END_TEST

/* Sent, if twice the share exceeds a draw: open where they are within twice the share's bound and the draw's own roundoff. */
START_TEST(a_share_is_open_within_its_bound)
{
    double share, off;
    make("gate.gshard", "T=1,N=2", "");
    put("r", 2, (const double[]){0.5, 0});
    put("u", 1, (const double[]){0});
    run_in(&fine);
    share = out("weight", 1);
    off = 2 * (bound("weight", 1) - unit_of(&fine) * share); /* the weight is the share, multiplied by 1 and stored */
    twin_result_clear(&r);
    off += unit_of(&fine) * 2 * share;
    for (int side = -1; side <= 1; side += 2)
        for (int inside = 0; inside < 2; inside++) {
            put("u", 1, (const double[]){2 * share + side * off * (inside ? 0.99 : 1.01)});
            run_in(&fine);
            ck_assert_msg((bound("kept", 1) > 0) == inside, "%g of the bound, %d", inside ? 0.99 : 1.01, side);
            ck_assert_msg(inside || out("kept", 1) == (side < 0), "below it is sent, above not");
            twin_result_clear(&r);
        }
    done();
}
END_TEST

/* Said twice, a batch has the same means; stored in few digits and added in many, which then err by nothing that shows, they have the
 * same bounds too, to first order. */
START_TEST(a_batch_said_twice_is_the_same)
{
    static const struct {
        const char *op, *two, *four, *set, *name;
    } row[] = {
        {"compete.diversity", "T=2,K=3,d=4", "T=4,K=3,d=4", "", "loss"},
        {"compete.diversity", "T=2,K=3,d=4", "T=4,K=3,d=4", "mean=square", "loss"},
        {"compete.distill", "T=2,N=4", "T=4,N=4", "k=2", "loss"},
        {"compete.distill", "T=2,N=4", "T=4,N=4", "k=2,version=1", "loss"},
        {"compete.distill", "T=2,N=4", "T=4,N=4", "k=2,version=1,loss=kl", "loss"},
        {"compete.distill", "T=2,N=4", "T=4,N=4", "k=2,version=1,loss=kl-clamped", "loss"},
        {"compete.balance", "T=2,N=4", "T=4,N=4", "k=2", "loss"},
        {"balance.switch", "T=2,N=4", "T=4,N=4", "k=2", "loss"},
        {"balance.switch", "T=2,N=4", "T=4,N=4", "k=2,divide=tokens", "loss"},
        {"balance.zloss", "T=2,N=4", "T=4,N=4", "", "loss"},
        {"balance.gshard", "T=2,N=4", "T=4,N=4", "", "loss"},
        {"balance.xmoe", "T=2,N=4", "T=4,N=4", "", "loss"},
        {"balance.entropy", "T=2,N=4", "T=4,N=4", "", "loss"},
        {"balance.deepseek", "T=2,N=4", "T=4,N=4", "k=2", "loss"},
        {"gate.entropy", "T=2,N=4", "T=4,N=4", "", "mean"},
        {"gate.stable.distill", "T=2,V=4,m=3,N=4", "T=4,V=4,m=3,N=4", "reduce=mean", "loss"},
        {"layer.load", "T=2,N=4", "T=4,N=4", "k=2", "max_violation"},
        {"layer.change", "T=2,K=3", "T=4,K=3", "measure=jaccard", "rate"},
        {"convergence.loglik", "n=2,N=3,d=2", "n=4,N=3,d=2", "k=3", "loglik"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        make(row[i].op, row[i].two, row[i].set);
        const char letter = row[i].two[0];
        run_in(&coarse);
        const double value = out(row[i].name, 0), once = bound(row[i].name, 0);
        twin_result_clear(&r);
        op_case *two = c;
        c = op_case_new(two->op, row[i].four, row[i].set, err, sizeof err);
        ck_assert_msg(c != NULL, "%s", err);
        for (size_t k = 0; c->op->in[k].name; k++)
            for (size_t e = 0; e < c->in[k].count; e++) {
                const size_t from = c->op->in[k].shape[0] == letter ? e % two->in[k].count : e;
                if (c->in[k].f64) c->in[k].f64[e] = two->in[k].f64[from];
                if (c->in[k].i64) c->in[k].i64[e] = two->in[k].i64[from];
            }
        op_case_free(two);
        decide();
        run_in(&coarse);
        const double twice = bound(row[i].name, 0);
        ck_assert_msg(fabs(out(row[i].name, 0) - value) <= once, "%s (%s): %.17g, and said twice %.17g", row[i].op,
                      row[i].set, value, out(row[i].name, 0));
        ck_assert_msg(once > 0 && fabs(twice - once) <= 0x1p-9 * once, "%s (%s): a bound of %.9g, and said twice %.9g",
                      row[i].op, row[i].set, once, twice);
        done();
    }
}
END_TEST

/* --- memory --------------------------------------------------------------------------------------------------------- */

/* Every operation under a profile with a tensor of its own. */
static void one_life(void)
{
    for (size_t o = 0; op_registry[o]; o++) {
        char dims[128];
        sizes_of(op_registry[o], dims);
        char *rows = strstr(dims, "n=24");
        if (rows && strncmp(op_registry[o]->id, "similarity.", 11) == 0) memcpy(rows, "n=08", 4);
        make(op_registry[o]->id, dims, strcmp(op_registry[o]->id, "convergence.voronoi") == 0 ? "powers=fixed" : "");
        twin_profile own[2] = {*twin_profile_find("f32"), {.name = NULL}}, mixed = *twin_profile_find("bf16");
        own[0].name = c->op->in[0].name;
        mixed.tensor = own;
        ck_assert_msg(twin_run(c, &mixed, NULL, 96, &r, err, sizeof err) == 0, "%s", err);
        done();
    }
}

/* Every crafted case, and every variant on the first and the last of its operation. */
static void another_life(void)
{
    const size_t n = sizeof crafted / sizeof *crafted;
    for (size_t i = 0; i < n; i++) {
        const bool first = i == 0 || strcmp(crafted[i - 1].op, crafted[i].op) != 0,
                   last = i + 1 == n || strcmp(crafted[i + 1].op, crafted[i].op) != 0;
        make(crafted[i].op, crafted[i].dims, crafted[i].set);
        run("f32", NULL);
        twin_result_clear(&r);
        for (const twin_variant *v = twin_variants; v->op && (first || last); v++) {
            if (strcmp(crafted[i].op, v->op) != 0) continue;
            run("f32", v->name);
            twin_result_clear(&r);
        }
        op_case_free(c);
    }
}

static void life_and_tables(void)
{
    one_life();
    another_life();
    flint_cleanup();
}

START_TEST(nothing_is_kept)
{
    if (in_own_process("check_enclosure")) keeps_nothing(life_and_tables, 1);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("enclosure");
    TCase *primitive_values = tcase_create("primitives"), *rounding = tcase_create("rounding");
    TCase *twins = tcase_create("twins"), *wrong = tcase_create("variants"), *radii = tcase_create("radii"),
          *memory = tcase_create("memory"), *every_twin = tcase_create("every"), *integers = tcase_create("integers"),
          *equations = tcase_create("equations"), *by_hand = tcase_create("formulas");
    tcase_add_test(primitive_values, functions_have_their_known_values);
    tcase_add_test(primitive_values, products_and_sums_have_their_known_values);
    tcase_add_test(primitive_values, norm_is_5_and_0_has_no_gradient);
    tcase_add_test(primitive_values, gradients_agree_with_differences);
    tcase_add_test(primitive_values, a_planted_wrong_gradient_is_seen);
    tcase_add_test(primitive_values, stopped_and_unwanted_get_nothing);
    tcase_add_test(primitive_values, functions_reach_far_out);
    tcase_add_test(rounding, no_summation_order_leaves_the_ball);
    tcase_add_test(rounding, a_bound_of_a_finer_format_is_exceeded);
    tcase_add_test(rounding, no_expert_leaves_the_ball_forward_or_back);
    tcase_add_test(rounding, no_order_of_contributions_leaves_the_ball);
    tcase_add_test(rounding, no_way_to_a_distance_leaves_the_ball);
    tcase_add_test(rounding, an_expansion_far_from_0_leaves_the_ball);
    tcase_add_test(rounding, the_element_of_a_rank_may_be_in_doubt);
    tcase_add_test(rounding, of_other_routes_the_worst_counts);
    tcase_add_test(rounding, a_common_factor_is_one_doubt);
    tcase_add_test(rounding, integers_and_powers_of_two_have_bound_0);
    tcase_add_test(rounding, what_does_not_fit_has_a_bound);
    tcase_add_test(rounding, exactness_holds_for_every_order);
    tcase_add_test(rounding, two_terms_are_exact_where_their_sum_is);
    tcase_add_test(rounding, division_by_a_count_is_exact_for_powers_of_two);
    tcase_add_test(rounding, a_shared_operand_admits_one_sum);
    tcase_add_test(rounding, a_product_with_itself_admits_one_sum);
    tcase_add_test(rounding, inputs_are_read_in_the_candidate_s_format);
    tcase_add_test(rounding, a_kink_within_the_bound_is_a_ball);
    tcase_add_test(rounding, the_largest_may_be_in_doubt);
    tcase_add_test(rounding, the_largest_may_be_a_wide_one);
    tcase_add_test(rounding, x_log_x_is_0_at_0_and_known_near_it);
    tcase_add_test(rounding, beyond_the_largest_nothing_is_known);
    tcase_add_test(twins, profiles_are_found);
    tcase_add_test(twins, a_storage_of_less_range_counts);
    tcase_add_test(twins, tensors_have_roundoffs_of_their_own);
    tcase_add_test(twins, nonsense_is_refused);
    tcase_add_test(every_twin, every_operation_has_a_twin);
    tcase_add_test(twins, a_decision_out_of_range_is_refused);
    tcase_add_test(every_twin, gradients_of_operations_agree_with_differences);
    tcase_add_test(twins, switch_loss_by_hand);
    tcase_add_test(twins, capacity_by_hand);
    tcase_add_test(twins, largest_weights_by_hand);
    tcase_add_test(twins, change_by_hand);
    tcase_add_test(twins, collapse_by_hand);
    tcase_add_test(twins, schedule_by_hand);
    tcase_add_test(twins, bandwidths_by_hand);
    tcase_add_test(twins, similarity_by_hand);
    tcase_add_test(integers, exact_integers_are_beyond_doubt);
    tcase_add_test(twins, detached_targets_get_exactly_nothing);
    tcase_add_test(twins, a_share_at_the_threshold_is_left_open);
    tcase_add_test(twins, groups_within_rounding_are_left_open);
    tcase_add_test(twins, no_tokens_no_trouble);
    tcase_add_test(twins, a_result_begins_empty);
    tcase_add_test(twins, results_are_rounded_outwards);
    tcase_add_test(twins, results_reach_beyond_doubles);
    tcase_add_test(wrong, every_variant_departs_from_its_equation);
    tcase_add_test(equations, a_variant_may_be_the_equation_of_other_numbers);
    tcase_add_test(equations, a_variant_may_be_a_multiple_of_the_equation);
    tcase_add_test(every_twin, a_tensor_of_its_own_lies_between);
    tcase_add_test(twins, all_ways_lead_to_one_number);
    tcase_add_test(every_twin, nothing_has_an_order_of_its_own);
    tcase_add_test(by_hand, variants_of_gates_by_hand);
    tcase_add_test(by_hand, variants_of_layers_by_hand);
    tcase_add_test(by_hand, variants_of_balances_by_hand);
    tcase_add_test(by_hand, variants_of_competition_by_hand);
    tcase_add_test(by_hand, variants_of_similarity_by_hand);
    tcase_add_test(by_hand, tokens_of_a_pair_by_hand);
    tcase_add_test(by_hand, variants_of_batches_by_hand);
    tcase_add_test(by_hand, variants_of_simsmoe_layers_by_hand);
    tcase_add_test(by_hand, variants_of_mixtures_by_hand);
    tcase_add_test(twins, what_has_no_meaning_is_refused);
    tcase_add_test(radii, bounds_know_no_order_of_tokens);
    tcase_add_test(radii, many_roundings_in_few_digits);
    tcase_add_test(radii, a_kernel_less_one_is_a_route_of_near_pairs);
    tcase_add_test(radii, a_share_is_open_within_its_bound);
    tcase_add_test(radii, a_batch_said_twice_is_the_same);
    tcase_add_test(radii, bounds_know_no_unit);
    tcase_add_test(radii, one_expert_leaves_nothing_to_err);
    tcase_add_test_raise_signal(radii, a_negative_radius_is_a_mistake, SIGABRT);
    tcase_add_test(wrong, no_variant_is_listed_twice);
    tcase_add_test(wrong, variants_do_what_is_said_of_them);
    tcase_add_test(wrong, without_the_combination_the_task_does_not_reach_the_router);
    tcase_add_test(wrong, double_softmax_confines_the_weights);
    tcase_add_test(wrong, a_missing_bias_is_missing);
    tcase_add_test(wrong, overflow_may_be_clamped);
    tcase_add_test(wrong, a_runner_up_is_counted);
    tcase_add_test(wrong, what_is_lost_passes);
    tcase_add_test(wrong, a_stale_loss_is_that_of_a_competition);
    tcase_add_test(wrong, what_is_kept_may_be_normalised);
    tcase_add_test(radii, what_is_read_has_one_rounding);
    tcase_add_test(radii, an_operation_has_one_rounding_and_a_division_two);
    tcase_add_test(radii, a_sum_has_a_rounding_for_each_term_but_one);
    tcase_add_test(radii, a_repeated_operand_gets_a_sum);
    tcase_add_test(radii, a_product_of_matrices_has_a_rounding_for_each_term);
    tcase_add_test(radii, norms_and_distances_by_hand);
    tcase_add_test(radii, the_maximum_is_blamed);
    tcase_add_test(radii, what_is_stored_is_counted_once);
    tcase_add_test(radii, a_coin_at_its_probability_does_not_compete);
    tcase_add_test(radii, functions_err_as_their_forms_do);
    tcase_add_test(radii, underflows_are_counted);
    tcase_add_test(radii, overflows_are_unknown);
    tcase_add_test(radii, plainly_constant_outputs_are_certain);
    tcase_add_test(radii, a_softmax_by_hand);
    tcase_add_test(radii, an_expert_s_choices_admit_one_sum);
    tcase_add_test(radii, functions_magnify_underflows);
    tcase_add_test(radii, a_collapse_errs_by_its_condition);
    tcase_add_test(radii, two_plans_for_a_node_are_the_coarsest_of_both);
    tcase_add_test(radii, a_plan_reaches_the_next_names);
    tcase_add_test(radii, a_sample_s_scores_by_hand);
    tcase_add_test(radii, a_mean_over_pairs_may_have_two_numbers);
    tcase_add_test(radii, a_distance_is_found_far_out);
    tcase_add_test(radii, parts_of_one_atom_are_one);
    tcase_add_test(radii, which_atom_leads_far_out);
    tcase_add_test(radii, a_distance_that_is_not_seen_is_open);
    tcase_add_test(radii, the_largest_distance_is_known);
    tcase_add_test(radii, a_softmax_s_gradient_by_hand);
    tcase_add_test(radii, a_variation_s_gradient_by_hand);
    tcase_add_test(radii, a_logarithm_s_gradient_by_hand);
    tcase_add_test(radii, a_counter_at_the_frequency_is_open);
    tcase_add_test(radii, a_high_power_may_be_a_product);
    tcase_add_test(radii, groups_stand_by_rank);
    tcase_add_test(radii, groups_err_by_their_sums);
    tcase_add_test(radii, a_collapse_of_three_groups_errs_by_its_condition);
    tcase_add_test(radii, a_logsumexp_s_gradient_errs_by_its_size);
    tcase_add_test(radii, a_distance_errs_by_its_models);
    tcase_add_test(radii, a_distance_errs_by_its_parameters);
    tcase_add_test(radii, a_mix_may_be_one_of_a_difference);
    tcase_add_test(radii, a_violation_may_be_a_quotient_less_one);
    tcase_add_test(radii, a_change_may_be_one_less_a_mean);
    tcase_add_test(radii, a_variation_may_be_a_square);
    tcase_add_test(radii, an_excess_is_a_difference);
    tcase_add_test(radii, the_sign_at_the_mean_is_open);
    tcase_add_test(radii, a_coin_at_lambda_is_open);
    tcase_add_test(radii, pairs_may_be_a_sum_less_its_diagonal);
    tcase_add_test(radii, a_logarithm_of_a_softmax_by_hand);
    tcase_add_test(radii, a_cross_entropy_by_hand);
    tcase_add_test(radii, an_entropy_by_hand);
    tcase_add_test(radii, a_generated_weight_by_hand);
    tcase_add_test(radii, a_kernel_by_hand);
    tcase_add_test(radii, a_counter_may_be_added_to_by_token);
    tcase_add_test(memory, nothing_is_kept);
    TCase *const all[] = {primitive_values, rounding,  radii, twins,    by_hand,
                          every_twin,       equations, wrong, integers, memory};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        tcase_set_timeout(all[i], 600); /* under Valgrind */
        suite_add_tcase(s, all[i]);
    }
    return s;
}

int main(void)
{
    SRunner *sr = srunner_create(suite());
    srunner_run_all(sr, CK_ENV);
    const int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    flint_cleanup();
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
