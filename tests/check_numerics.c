/* Numerics, spec/00-numerics.md: hand-computed values, correct rounding, bit-identity of the matrix products, gradients
 * by two methods, properties, every error path, and the self-test's negative controls. */
#include <check.h>
#include <dlfcn.h>
#include <fenv.h>
#include <float.h>
#include <math.h>
#include <mpfr.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __x86_64__
#include <fpu_control.h>
#include <xmmintrin.h>
#endif

#include "lone.h"
#include "numerics.h"
#include "slopes.h"

static const double INF = INFINITY;

/* Under Valgrind (SMOE_TEST_LIGHT) everything is thirty times slower, and long double is no wider than double. */
static bool light(void) { return getenv("SMOE_TEST_LIGHT") != NULL; }

/* Equal as bits, so that -0 differs from 0; all NaN are one. */
static bool same(double a, double b) { return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0; }

/* Fails with the message unless the bits are those expected. */
__attribute__((format(printf, 3, 4))) static void SAME(double got, double want, const char *format, ...)
{
    char what[200];
    va_list list;
    va_start(list, format);
    vsnprintf(what, sizeof what, format, list);
    va_end(list);
    ck_assert_msg(same(got, want), "%s: got %a (%.17g), expected %a (%.17g)", what, got, got, want, want);
}

/* |got - want| in units of the last place of want. */
static double ulps(double got, double want)
{
    int e;
    frexp(want, &e);
    return fabs(got - want) / ldexp(1, (e < -1021 ? -1021 : e) - 53);
}

__attribute__((format(printf, 4, 5))) static void WITHIN(double got, double want, double bound, const char *format, ...)
{
    char what[200];
    va_list list;
    va_start(list, format);
    vsnprintf(what, sizeof what, format, list);
    va_end(list);
    ck_assert_msg(ulps(got, want) <= bound, "%s: got %a (%.17g), expected %a (%.17g), %.3g ulp off", what, got, got,
                  want, want, ulps(got, want));
}

/* --- N.10 to N.13: sums and products ------------------------------------------------------------------------------ */

/* 2^53 + 1 is a tie and rounds to the even 2^53: what comes first decides. */
/* evidence hand: N.3 N.10 */
START_TEST(sum_by_hand)
{
    SAME(smoe_sum(3, (double[]){1, 0x1p53, -0x1p53}), 0, "(1 + 2^53) - 2^53, left to right (N.10)");
    SAME(smoe_sum(3, (double[]){0x1p53, -0x1p53, 1}), 1, "(2^53 - 2^53) + 1 (N.10)");
    SAME(smoe_sum(4, (double[]){0x1p53, 1, 1, -0x1p53}), 0, "each 1 is lost on its own (N.10)");
    SAME(smoe_sum(3, (double[]){0x1p-1, 0x1p-2, 0x1p-3}), 0x1.cp-1, "1/2 + 1/4 + 1/8 (N.10)");
    SAME(smoe_sum(0, NULL), 0, "an empty sum (N.10)");
    SAME(smoe_sum(1, (double[]){-0.0}), 0, "0 + -0 is +0 (N.10)");
}
END_TEST

/* c^2 = (1 + 2^-27)^2 = 1 + 2^-26 + 2^-54 exactly; rounded it is C = 1 + 2^-26. */
static const double c = 0x1.0000002p0, C = 0x1.0000004p0;

/* evidence hand: N.4 N.11 N.12 */
START_TEST(products_by_hand)
{
    SAME(smoe_dot(2, (double[]){c, 1}, (double[]){c, -C}), 0, "fma(1, -C, fma(c, c, 0)): c^2 is rounded first (N.11)");
    SAME(smoe_dot(2, (double[]){1, c}, (double[]){-C, c}), 0x1p-54, "fma(c, c, -C): the product is exact (N.11)");
    SAME(smoe_dot(3, (double[]){1, 2, 3}, (double[]){4, -5, 6}), 12, "4 - 10 + 18 (N.11)");
    SAME(smoe_dot(0, NULL, NULL), 0, "an empty inner product (N.11)");
    double y[] = {-C, 1, -0.0};
    smoe_axpy(3, c, (double[]){c, -2, 0}, y);
    SAME(y[0], 0x1p-54, "fma(c, c, -C) (N.12)");
    SAME(y[1], -0x1.0000004p0, "1 - 2 (1 + 2^-27) = -(1 + 2^-26) (N.12)");
    SAME(y[2], 0, "fma(c, 0, -0) is +0 (N.12)");
    smoe_axpy(0, c, NULL, NULL);
}
END_TEST

/* A = (1 2; 3 4), B = (5 6; 7 8).  And a row (c, 1) times a column (c, -C), in both orders of k. */
/* evidence hand: N.13 */
START_TEST(matrices_by_hand)
{
    const double A[] = {1, 2, 3, 4}, B[] = {5, 6, 7, 8};
    const double nn[] = {19, 22, 43, 50}, nt[] = {17, 23, 39, 53}, tn[] = {26, 30, 38, 44};
    double D[4];
    for (size_t i = 0; i < 4; i++) {
        smoe_matmul_nn(2, 2, 2, A, B, D), SAME(D[i], nn[i], "A B, element %zu (N.13)", i);
        smoe_matmul_nt(2, 2, 2, A, B, D), SAME(D[i], nt[i], "A B', element %zu (N.13)", i);
        smoe_matmul_tn(2, 2, 2, A, B, D), SAME(D[i], tn[i], "A' B, element %zu (N.13)", i);
        smoe_matmul_tn_acc(2, 2, 2, A, B, D), SAME(D[i], 2 * tn[i], "A' B + A' B, element %zu (N.13)", i);
    }
    smoe_matmul_nn(1, 1, 2, (double[]){c, 1}, (double[]){c, -C}, D);
    SAME(D[0], 0, "c c rounded, then - C (N.13)");
    smoe_matmul_nn(1, 1, 2, (double[]){1, c}, (double[]){-C, c}, D);
    SAME(D[0], 0x1p-54, "-C, then the exact product c c (N.13)");
    D[0] = -C;
    smoe_matmul_nt_acc(1, 1, 1, (double[]){c}, (double[]){c}, D);
    SAME(D[0], 0x1p-54, "the chain starts at the C that is there (N.13)");
    D[0] = 7;
    smoe_matmul_nn(1, 1, 0, NULL, NULL, D);
    SAME(D[0], 0, "an empty chain (N.13)");
    smoe_matmul_nn_acc(1, 1, 0, NULL, NULL, D);
    SAME(D[0], 0, "nothing added (N.13)");
    smoe_matmul_nn(0, 0, 3, NULL, NULL, NULL);
}
END_TEST

/* Numbers of full precision and of many sizes, so that every step rounds and any change of order shows. */
static double *draw(uint64_t *state, size_t n)
{
    double *x = malloc((n + 1) * sizeof *x);
    ck_assert_ptr_nonnull(x);
    for (size_t i = 0; i < n; i++) x[i] = ldexp(slopes_draw(state), (int)(slopes_draw(state) * 8));
    return x;
}

enum { NN, NT, TN, FORMS };
static const char *const form_name[FORMS] = {"nn", "nt", "tn"};
typedef void matmul(size_t, size_t, size_t, const double *, const double *, double *);
static matmul *const fast[FORMS] = {smoe_matmul_nn, smoe_matmul_nt, smoe_matmul_tn};
static matmul *const fast_acc[FORMS] = {smoe_matmul_nn_acc, smoe_matmul_nt_acc, smoe_matmul_tn_acc};
static matmul *const naive[FORMS] = {smoe_matmul_naive_nn, smoe_matmul_naive_nt, smoe_matmul_naive_tn};
static matmul *const naive_acc[FORMS] = {smoe_matmul_naive_nn_acc, smoe_matmul_naive_nt_acc, smoe_matmul_naive_tn_acc};

/* The definition once more, by the test: the chain of element (i,j), k ascending or (for the control) descending. */
static double chain(int form, size_t i, size_t j, size_t m, size_t n, size_t k, const double *A, const double *B,
                    double s, bool descending)
{
    for (size_t q = 0; q < k; q++) {
        const size_t l = descending ? k - 1 - q : q;
        s = fma(form == TN ? A[l * m + i] : A[i * k + l], form == NT ? B[j * k + l] : B[l * n + j], s);
    }
    return s;
}

static void strided(size_t kernel, int form, size_t m, size_t n, size_t k, const double *A, const double *B, double *D)
{
    const size_t ai = form == TN ? 1 : k, al = form == TN ? m : 1, bl = form == NT ? 1 : n, bj = form == NT ? k : 1;
    smoe_matmul_strided_acc(kernel, m, n, k, A, ai, al, B, bl, bj, D);
}

/* All kernels and forms of one size against the triple loop, bit by bit; a sentinel behind C stays what it was. */
static void compare(uint64_t *state, int form, size_t m, size_t n, size_t k)
{
    double *A = draw(state, m * k), *B = draw(state, k * n), *start = draw(state, m * n);
    double *want = draw(state, m * n), *got = draw(state, m * n), *sum = draw(state, m * n);
    const size_t bytes = m * n * sizeof *got;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            want[i * n + j] = chain(form, i, j, m, n, k, A, B, 0, false);
            sum[i * n + j] = chain(form, i, j, m, n, k, A, B, start[i * n + j], false);
        }
    got[m * n] = 42;
#define EQUAL(to, what)                                                                                                \
    ck_assert_msg(memcmp(got, to, bytes) == 0 && got[m * n] == 42,                                                     \
                  "%s %s, m=%zu n=%zu k=%zu: bits differ from the chain of (N.13)", what, form_name[form], m, n, k)
    naive[form](m, n, k, A, B, got);
    EQUAL(want, "naive");
    fast[form](m, n, k, A, B, got);
    EQUAL(want, "product");
    memcpy(got, start, bytes);
    naive_acc[form](m, n, k, A, B, got);
    EQUAL(sum, "naive, accumulated");
    memcpy(got, start, bytes);
    fast_acc[form](m, n, k, A, B, got);
    EQUAL(sum, "accumulated");
    for (size_t kernel = 0; smoe_matmul_kernel(kernel); kernel++) {
        memcpy(got, start, bytes);
        strided(kernel, form, m, n, k, A, B, got);
        EQUAL(sum, smoe_matmul_kernel(kernel));
    }
    free(A), free(B), free(start), free(want), free(got), free(sum);
}

/* Sizes on both sides of every block: tiles of 4 x 3, 8 x 6, 4 x 12, 8 x 24; 48 and 256 rows; 256 steps. */
/* evidence properties: N.4 N.13 */
START_TEST(kernels_give_the_bits_of_the_triple_loop)
{
    static const size_t size[][3] = {{1, 1, 1},    {0, 3, 2},    {3, 0, 2},    {2, 3, 0},    {1, 24, 5},  {8, 24, 7},
                                     {9, 25, 8},   {7, 23, 9},   {16, 48, 3},  {4, 12, 11},  {5, 13, 1},  {8, 6, 2},
                                     {47, 5, 31},  {48, 6, 30},  {49, 7, 29},  {97, 27, 33}, {3, 2, 255}, {3, 2, 256},
                                     {9, 26, 257}, {2, 50, 513}, {31, 31, 31}, {33, 1, 65},  {1, 97, 12}, {64, 64, 64}};
    static const size_t high[][3] = {{255, 3, 9}, {256, 4, 5}, {257, 25, 258}, {300, 13, 70}, {515, 2, 3}};
    uint64_t state = 13;
    for (int form = 0; form < FORMS; form++) {
        for (size_t i = 0; i < sizeof size / sizeof *size; i++)
            compare(&state, form, size[i][0], size[i][1], size[i][2]);
        for (size_t i = 0; i < sizeof high / sizeof *high && !light(); i++)
            compare(&state, form, high[i][0], high[i][1], high[i][2]);
        for (int i = 0; i < (light() ? 5 : 60); i++) {
            size_t s[3];
            for (int q = 0; q < 3; q++) s[q] = (size_t)(fabs(slopes_draw(&state)) * 40);
            compare(&state, form, s[0], s[1], s[2]);
        }
    }
}
END_TEST

/* Negative control of the comparison: the chain in descending order of k has other bits on such data. */
START_TEST(another_order_has_other_bits)
{
    uint64_t state = 17;
    const size_t n = 20;
    double *A = draw(&state, n * n), *B = draw(&state, n * n);
    size_t differ = 0;
    for (size_t i = 0; i < n * n; i++)
        differ += chain(NN, i / n, i % n, n, n, n, A, B, 0, true) != chain(NN, i / n, i % n, n, n, n, A, B, 0, false);
    ck_assert_msg(differ > n * n / 4, "only %zu of %zu elements changed: the data do not tell orders apart", differ,
                  n * n);
    free(A), free(B);
}
END_TEST

/* The steps of (K.2) and of its gradient on every kernel, against their chains; columns beyond n stay what they were. */
static void compare_steps(uint64_t *state, size_t m, size_t n, size_t k)
{
    const size_t wide = n + 3;
    double *A = draw(state, m * k), *B = draw(state, n * k), *own = draw(state, m * n), *rows = draw(state, k * n);
    double *start = draw(state, m * wide), *got = draw(state, m * wide), *want = draw(state, m * wide);
    for (size_t kernel = 0; smoe_matmul_kernel(kernel); kernel++) {
        memcpy(got, start, m * wide * sizeof *got);
        memcpy(want, start, m * wide * sizeof *want);
        smoe_distances_acc(kernel, m, n, k, A, B, got, wide);
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < n; j++)
                for (size_t l = 0; l < k; l++) {
                    const double d = A[i * k + l] - B[j * k + l];
                    want[i * wide + j] = fma(d, d, want[i * wide + j]);
                }
        ck_assert_msg(memcmp(got, want, m * wide * sizeof *got) == 0, "%s, m=%zu n=%zu k=%zu: not the chains of (K.2)",
                      smoe_matmul_kernel(kernel), m, n, k);
        got[m * n] = 42;
        smoe_pull_acc(kernel, m, n, k, A, own, rows, got);
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < n; j++) {
                double s = want[i * n + j];
                for (size_t l = 0; l < k; l++) s = fma(A[i * k + l], own[i * n + j] - rows[l * n + j], s);
                ck_assert_msg(same(got[i * n + j], s), "%s, m=%zu n=%zu k=%zu: not the chain of (K.2')",
                              smoe_matmul_kernel(kernel), m, n, k);
            }
        ck_assert_msg(got[m * n] == 42, "%s wrote beyond its matrix", smoe_matmul_kernel(kernel));
    }
    free(A), free(B), free(own), free(rows), free(start), free(got), free(want);
}

/* evidence properties: N.13 */
START_TEST(other_steps_have_the_bits_of_their_chains)
{
    static const size_t size[][3] = {{1, 1, 1},   {3, 0, 2},   {2, 3, 0},   {8, 24, 7},   {9, 25, 8}, {7, 23, 9},
                                     {4, 12, 11}, {5, 13, 1},  {47, 5, 31}, {49, 7, 257}, {97, 27, 3}, {300, 13, 5}};
    uint64_t state = 26;
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) compare_steps(&state, size[i][0], size[i][1], size[i][2]);
}
END_TEST

/* Strides that none of the forms has, among them 0: one number for a whole row or column. */
/* evidence properties: N.13 */
START_TEST(any_strides_have_the_bits_of_the_chains)
{
    enum { M = 50, N = 26, L = 7 };
    static const size_t stride[][2] = {{0, 1}, {1, 0}, {0, 0}, {2, 1}, {1, 2}, {3, 7}, {9, 3}, {1, 1}};
    uint64_t state = 31;
    double *A = draw(&state, 1000), *B = draw(&state, 1000), *start = draw(&state, M * N), got[M * N];
    for (size_t s = 0; s < sizeof stride / sizeof *stride; s++)
        for (size_t kernel = 0; smoe_matmul_kernel(kernel); kernel++) {
            const size_t a = stride[s][0], al = stride[s][1], b = al, bl = a;
            memcpy(got, start, sizeof got);
            smoe_matmul_strided_acc(kernel, M, N, L, A, a, al, B, bl, b, got);
            for (size_t i = 0; i < M; i++)
                for (size_t j = 0; j < N; j++) {
                    double want = start[i * N + j];
                    for (size_t l = 0; l < L; l++) want = fma(A[i * a + l * al], B[l * bl + j * b], want);
                    ck_assert_msg(same(got[i * N + j], want), "%s, strides %zu and %zu: not the chain of (N.13)",
                                  smoe_matmul_kernel(kernel), a, al);
                }
        }
    free(A), free(B), free(start);
}
END_TEST

START_TEST(kernels_have_names)
{
    size_t kernels = 0;
    while (smoe_matmul_kernel(kernels)) kernels++;
    ck_assert_uint_ge(kernels, 1);
    ck_assert_str_eq(smoe_matmul_kernel(kernels - 1), "portable");
    ck_assert_ptr_null(smoe_matmul_kernel(kernels + 7));
    double D = 1; /* a number beyond the last counts as the last */
    smoe_matmul_strided_acc(99, 1, 1, 1, (double[]){2}, 1, 1, (double[]){3}, 1, 1, &D);
    SAME(D, 7, "1 + 2 * 3");
}
END_TEST

static void integers(uint64_t *state, size_t n, double *x)
{
    for (size_t i = 0; i < n; i++) x[i] = rint(9 * slopes_draw(state));
}

/* The forms are each other's gradients: <G, A B> = <A' G, B> = <G B', A>, and so for NT and TN; sums, inner products
 * and axpy are linear in each argument.  With small integers both sides are exact. */
/* evidence gradient: N.10 N.11 N.12 N.13 */
START_TEST(products_are_adjoint)
{
    uint64_t state = 5;
    for (int round = 0; round < 20; round++) {
        double A[6 * 5], B[5 * 7], G[6 * 7], P[6 * 7], dA[6 * 5], dB[5 * 7], ones[30];
        integers(&state, 30, A), integers(&state, 35, B), integers(&state, 42, G);
        smoe_matmul_nn(6, 7, 5, A, B, P); /* dA = G B', dB = A' G */
        smoe_matmul_nt(6, 5, 7, G, B, dA), smoe_matmul_tn(5, 7, 6, A, G, dB);
        SAME(smoe_dot(42, G, P), smoe_dot(30, dA, A), "<G, AB> = <G B', A>");
        SAME(smoe_dot(42, G, P), smoe_dot(35, dB, B), "<G, AB> = <A' G, B>");
        smoe_matmul_nt(6, 7, 5, A, B, P); /* B as [7,5]: dA = G B, dB = G' A */
        smoe_matmul_nn(6, 5, 7, G, B, dA), smoe_matmul_tn(7, 5, 6, G, A, dB);
        SAME(smoe_dot(42, G, P), smoe_dot(30, dA, A), "<G, AB'> = <G B, A>");
        SAME(smoe_dot(42, G, P), smoe_dot(35, dB, B), "<G, AB'> = <G' A, B>");
        smoe_matmul_tn(6, 7, 5, A, B, P); /* A as [5,6]: dA = B G', dB = A G */
        smoe_matmul_nt(5, 6, 7, B, G, dA), smoe_matmul_nn(5, 7, 6, A, G, dB);
        SAME(smoe_dot(42, G, P), smoe_dot(30, dA, A), "<G, A'B> = <B G', A>");
        SAME(smoe_dot(42, G, P), smoe_dot(35, dB, B), "<G, A'B> = <A G, B>");
        for (int i = 0; i < 30; i++) ones[i] = 1;
        SAME(smoe_sum(30, A), smoe_dot(30, ones, A), "the gradient of a sum is 1 everywhere");
        SAME(smoe_dot(30, A, B), smoe_dot(30, B, A), "the gradient of <x,y> by x is y");
        double y[30], z[30];
        memcpy(y, G, sizeof y), memcpy(z, G, sizeof z);
        smoe_axpy(30, 3, A, y);
        SAME(smoe_dot(30, G, y), smoe_dot(30, G, z) + 3 * smoe_dot(30, G, A), "axpy is linear: a, x and y");
    }
}
END_TEST

/* Exact integers: order, grouping and sign do not matter there, so simple laws must hold to the bit. */
/* evidence properties: N.3 N.10 N.11 N.12 */
START_TEST(sums_and_products_obey_their_laws)
{
    uint64_t state = 6;
    for (size_t n = 0; n < 40; n++) {
        double x[40], y[40], z[40], r[40];
        integers(&state, n, x), integers(&state, n, y), integers(&state, n, z);
        for (size_t i = 0; i < n; i++) r[i] = x[n - 1 - i];
        SAME(smoe_sum(n, x), smoe_sum(n, r), "a sum of integers in reverse, n=%zu (N.10)", n);
        SAME(smoe_dot(n, x, y), smoe_dot(n, y, x), "<x,y> = <y,x>, n=%zu (N.11)", n);
        double sum[40];
        memcpy(sum, z, sizeof sum);
        smoe_axpy(n, 2, y, sum); /* z + 2 y */
        SAME(smoe_dot(n, x, sum), smoe_dot(n, x, z) + 2 * smoe_dot(n, x, y), "<x, z + 2y>, n=%zu (N.11, N.12)", n);
        SAME(n ? smoe_dot(n, x, x) : 0, n ? fabs(smoe_dot(n, x, x)) : 0, "<x,x> >= 0, n=%zu (N.11)", n);
    }
}
END_TEST

/* --- N.14: correct rounding --------------------------------------------------------------------------------------- */

typedef int mpfr_function(mpfr_ptr, mpfr_srcptr, mpfr_rnd_t);
typedef struct {
    const char *name;
    double (*f)(double);
    mpfr_function *exact;
    double low, high; /* the range that random arguments cover */
    int points;
} elementary;

static const elementary elementaries[] = {
    {"exp", smoe_exp, mpfr_exp, -746, 710, 100000},  {"expm1", smoe_expm1, mpfr_expm1, -50, 710, 100000},
    {"log", smoe_log, mpfr_log, 0, 4, 100000},       {"log1p", smoe_log1p, mpfr_log1p, -1, 4, 100000},
    {"tanh", smoe_tanh, mpfr_tanh, -20, 20, 100000}, {"erf", smoe_erf, mpfr_erf, -6, 6, 40000},
    {"erfc", smoe_erfc, mpfr_erfc, -6, 27.3, 10000},
};
enum { ELEMENTARIES = sizeof elementaries / sizeof *elementaries };

static const elementary *elementary_named(const char *name)
{
    for (size_t i = 0; i < ELEMENTARIES; i++)
        if (strcmp(elementaries[i].name, name) == 0) return &elementaries[i];
    ck_abort_msg("no function %s", name);
    return NULL;
}

typedef struct {
    const char *name;
    double x, y;
} corpus_row;

/* Arguments whose value is closest to a tie among millions drawn (the distance in units of the last place behind them);
 * expected values by decimal arithmetic of hundreds of digits and one exact rounding of the fraction, without MPFR.
 * This table only grows. */
static const corpus_row corpus[] = {
    {"exp", -0x1.409616a15c95p+7, 0x1.ad4fa7006b6a8p-232}, /* 2^-24 */
    {"exp", -0x1.42b49b650944dp+9, 0x1.d37afc8db072fp-932}, /* 2^-21 */
    {"exp", 0x1.466ab7d5efd86p+9, 0x1.ca401a27b9482p+941}, /* 2^-19 */
    {"exp", -0x1.151bf732f0257p+9, 0x1.594f2cf455bc1p-800}, /* 2^-18 */
    {"exp", 0x1.521b142cd08a8p+7, 0x1.dafe4e2523378p+243}, /* 2^-17 */
    {"exp", 0x1.6c7926ccdd2cp-4, 0x1.17d2e58174457p+0}, /* 2^-20 */
    {"exp", -0x1.1ce43cd2031c8p-1, 0x1.25815d8600902p-1}, /* 2^-19 */
    {"exp", -0x1.609ef0db27289p-1, 0x1.012344bfa91f2p-1}, /* 2^-19 */
    {"exp", 0x1.d478df4d1c298p-1, 0x1.3f9514084bea5p+1}, /* 2^-19 */
    {"expm1", 0x1.11bfe55ef04c5p-19, 0x1.11bff7aa9e8ddp-19}, /* 2^-26 */
    {"expm1", 0x1.89f03df59b88p-10, 0x1.8a3c0e1e10be3p-10}, /* 2^-22 */
    {"expm1", -0x1.d31e456546522p-19, -0x1.d31e101fd312cp-19}, /* 2^-19 */
    {"expm1", -0x1.97d6a7c6f28fp-13, -0x1.97cc81011d484p-13}, /* 2^-19 */
    {"expm1", -0x1.6562f3117be79p-2, -0x1.2daf52be36f1cp-2}, /* 2^-19 */
    {"expm1", 0x1.f46ffa2af2dbp-7, 0x1.f8473f8ef9e64p-7}, /* 2^-19 */
    {"expm1", 0x1.6ffeddf3ab434p-15, 0x1.7000eef264533p-15}, /* 2^-19 */
    {"expm1", 0x1.c8b24727c81e8p-9, 0x1.c97e32ab45653p-9}, /* 2^-18 */
    {"log", 0x1.ccd0e6083894bp-2, -0x1.98d17266a87ffp-1}, /* 2^-11 */
    {"log", 0x1.193a706ea5412p+0, 0x1.80fae53d2d07bp-4}, /* 2^-21 */
    {"log", 0x1.4e94cafa7dbdap-1, -0x1.b3a7d7d6a7d2dp-2}, /* 2^-18 */
    {"log", 0x1.cf2029fa4fd44p+0, 0x1.2f8639bd3f25ep-1}, /* 2^-18 */
    {"log", 0x1.74b4e23bf815ap+0, 0x1.80a0f570d1e1fp-2}, /* 2^-17 */
    {"log1p", 0x1.a7ba14925123bp+3, 0x1.53fcfa55e07ebp+1}, /* 2^-20 */
    {"log1p", 0x1.fd32084bdf1f3p+10, 0x1.e7a7ce9190d1dp+2}, /* 2^-20 */
    {"log1p", 0x1.2d826c4a3eb5cp-1, 0x1.da254e59aa382p-2}, /* 2^-19 */
    {"log1p", 0x1.739d93826bdefp+8, 0x1.7aea3e90537ddp+2}, /* 2^-18 */
    {"log1p", 0x1.b0d1b2ea2caap+12, 0x1.1afa4a66ca0d6p+3}, /* 2^-18 */
    {"log1p", -0x1.5fad706f5c064p-2, -0x1.aed4ce4b142e2p-2}, /* 2^-21 */
    {"log1p", -0x1.0183a6989679cp-2, -0x1.289b81d212c86p-2}, /* 2^-21 */
    {"log1p", -0x1.8c132d2796808p-3, -0x1.b829391bb9d73p-3}, /* 2^-19 */
    {"log1p", -0x1.e2a1274b4626p-5, -0x1.f16e48466ded2p-5}, /* 2^-19 */
    {"tanh", 0x1.4c2373c9b9b0cp-7, 0x1.4c208a5f4b6e8p-7}, /* 2^-23 */
    {"tanh", 0x1.7feebc80c382ep-13, 0x1.7feebc38cd387p-13}, /* 2^-22 */
    {"tanh", 0x1.4d26210492009p-12, 0x1.4d26204880aebp-12}, /* 2^-22 */
    {"tanh", 0x1.135a550272e46p-4, 0x1.12f0566c25b5ep-4}, /* 2^-20 */
    {"tanh", 0x1.4da5adb783b89p+1, 0x1.fa749c0d8e03dp-1}, /* 2^-19 */
    {"tanh", 0x1.4114f3cbce0b8p+1, 0x1.f942b95e1c00cp-1}, /* 2^-19 */
    {"tanh", -0x1.f8d9c05c041eep-2, -0x1.d39135a943cfp-2}, /* 2^-19 */
    {"tanh", 0x1.b35d287e49ef7p-8, 0x1.b35b84c8c20d5p-8}, /* 2^-19 */
    {"erf", 0x1.9ac21856ce9f1p-1, 0x1.7ca4bfb428f9bp-1}, /* 2^-20 */
    {"erf", 0x1.21ad7c1a7bf6ap-12, 0x1.46ddc23f6beb7p-12}, /* 2^-19 */
    {"erf", 0x1.3d0d7fc42afedp-1, 0x1.3cd74bf55548dp-1}, /* 2^-19 */
    {"erf", -0x1.ebea1977f9ebap-4, -0x1.143457da258a4p-3}, /* 2^-19 */
    {"erf", 0x1.cd7dcda8bca92p-9, 0x1.045e1972861ecp-8}, /* 2^-18 */
    {"erf", 0x1.03efa57e8a83ap+1, 0x1.fde93c96ed6ebp-1}, /* 2^-18 */
    {"erf", 0x1.fec055b997f4ap-12, 0x1.2029197a292b4p-11}, /* 2^-17 */
    {"erf", -0x1.09480769fc463p+1, -0x1.fe451abb7d362p-1}, /* 2^-17 */
    {"erfc", 0x1.2c4a878cadbecp+2, 0x1.1c5af51250256p-35}, /* 2^-18 */
    {"erfc", -0x1.34a8c31e18ef4p+1, 0x1.ffd5766b915d5p+0}, /* 2^-17 */
    {"erfc", -0x1.00c0a91fc9ddap+0, 0x1.d80afaaaa8b89p+0}, /* 2^-17 */
    {"erfc", -0x1.60f78b99e454p-2, 0x1.5fc36c59a154ep+0}, /* 2^-17 */
    {"erfc", -0x1.e2fb0f7497c48p+0, 0x1.fe0c1b237d398p+0}, /* 2^-16 */
    {"erfc", 0x1.c427f49210ee4p+3, 0x1.3d93d46dfcfecp-293}, /* 2^-18 */
    {"erfc", 0x1.313252811de1ap+4, 0x1.ff3580e9dbde8p-531}, /* 2^-17 */
    {"erfc", 0x1.67baca0eee23dp+4, 0x1.5526af2a06c68p-735}, /* 2^-17 */
    {"erfc", 0x1.1ecd166def4bdp+4, 0x1.5fc267dd22dafp-469}, /* 2^-17 */
    /* subnormal results, and the last arguments before 0 and infinity */
    {"exp", -0x1.74910d52d3051p+9, 0x0.0000000000001p-1022},
    {"exp", -0x1.74910d52d3052p+9, 0},
    {"exp", -0x1.72p+9, 0x0.0000000000055p-1022},
    {"exp", -0x1.6232bdd7abcd2p+9, 0x1.000000000007cp-1022},
    {"exp", 0x1.62e42fefa39efp+9, 0x1.fffffffffff2ap+1023},
    {"exp", 0x1.62e42fefa39fp+9, INFINITY},
    {"erfc", 0x1.bp+4, 0x0.0000000019e0fp-1022},
    {"erfc", 0x1.b39dc41e48bfcp+4, 0x0.0000000000001p-1022},
    {"erfc", 0x1.b39dc41e48bfdp+4, 0},
    {"erfc", 0x1.a8b12fc6e4891p+4, 0x1.0000000000332p-1022},
    {"exp", 0x1p-53, 0x1.0000000000001p+0},
    {"exp", -0x1p-54, 0x1p+0},
    {"expm1", 0x1p-52, 0x1.0000000000001p-52},
    {"log1p", 0x1p-52, 0x1.fffffffffffffp-53},
    {"expm1", 0x0.0000000000001p-1022, 0x0.0000000000001p-1022},
    {"tanh", -0x0.8000000000000p-1022, -0x0.8000000000000p-1022},
    {"erf", 0x0.8000000000000p-1022, 0x0.906eba8214db7p-1022},
};

/* evidence hand: N.14 */
START_TEST(elementary_functions_by_hand)
{
    SAME(smoe_exp(0), 1, "exp(0)");
    SAME(smoe_exp(-0.0), 1, "exp(-0)");
    SAME(smoe_exp(INF), INF, "exp(inf)");
    SAME(smoe_exp(-INF), 0, "exp(-inf)");
    SAME(smoe_exp(0x1p-53), 0x1.0000000000001p0, "exp(2^-53) = 1 + 2^-53 + 2^-107 + ...: just above the tie");
    SAME(smoe_exp(-0x1p-54), 1, "exp(-2^-54) = 1 - 2^-54 + 2^-109: just above the tie");
    SAME(smoe_expm1(-0.0), -0.0, "expm1(-0)");
    SAME(smoe_expm1(-INF), -1, "expm1(-inf)");
    SAME(smoe_expm1(INF), INF, "expm1(inf)");
    SAME(smoe_expm1(0x1p-52), 0x1.0000000000001p-52, "expm1(u) = u + u^2/2 + u^3/6, u = 2^-52: just above the tie");
    SAME(smoe_log(1), 0, "log(1)");
    SAME(smoe_log(0), -INF, "log(0)");
    SAME(smoe_log(-0.0), -INF, "log(-0)");
    SAME(smoe_log(INF), INF, "log(inf)");
    SAME(smoe_log(-1), NAN, "log(-1)");
    SAME(smoe_log1p(-0.0), -0.0, "log1p(-0)");
    SAME(smoe_log1p(-1), -INF, "log1p(-1)");
    SAME(smoe_log1p(-1.5), NAN, "log1p(-1.5)");
    SAME(smoe_log1p(INF), INF, "log1p(inf)");
    SAME(smoe_log1p(0x1p-52), 0x1.fffffffffffffp-53, "log1p(u) = u - u^2/2 + u^3/3, u = 2^-52");
    SAME(smoe_tanh(-0.0), -0.0, "tanh(-0)");
    SAME(smoe_tanh(INF), 1, "tanh(inf)");
    SAME(smoe_tanh(-INF), -1, "tanh(-inf)");
    SAME(smoe_tanh(-0x1p-1074), -0x1p-1074, "tanh(x) = x - x^3/3");
    SAME(smoe_erf(-0.0), -0.0, "erf(-0)");
    SAME(smoe_erf(-INF), -1, "erf(-inf)");
    SAME(smoe_erfc(0), 1, "erfc(0)");
    SAME(smoe_erfc(-INF), 2, "erfc(-inf)");
    SAME(smoe_erfc(INF), 0, "erfc(inf)");
    for (size_t i = 0; i < ELEMENTARIES; i++) SAME(elementaries[i].f(NAN), NAN, "%s(NaN)", elementaries[i].name);
}
END_TEST

static void check_corpus(const char *when)
{
    for (size_t i = 0; i < sizeof corpus / sizeof *corpus; i++)
        SAME(elementary_named(corpus[i].name)->f(corpus[i].x), corpus[i].y, "%s(%a)%s", corpus[i].name, corpus[i].x,
             when);
}

/* evidence hand: N.14 */
START_TEST(hard_cases_are_rounded_correctly) { check_corpus(""); }
END_TEST

/* The nearest double of the exact value: 220 bits, then one rounding onto the doubles' own grid. */
static double nearest(mpfr_function *exact, double x)
{
    mpfr_t v, y;
    mpfr_init2(v, 53);
    mpfr_init2(y, 220);
    mpfr_set_d(v, x, MPFR_RNDN);
    exact(y, v, MPFR_RNDN);
    const double r = mpfr_get_d(y, MPFR_RNDN);
    mpfr_clears(v, y, (mpfr_ptr)0);
    return r;
}

/* An argument from the range, from its middle, near a power of two, or tiny. */
static double argument(const elementary *e, uint64_t *state)
{
    const double u = fabs(slopes_draw(state)), w = slopes_draw(state);
    const int kind = (int)(fabs(slopes_draw(state)) * 8);
    if (kind < 4) return e->low + u * (e->high - e->low);
    if (kind < 6) return e->low + u * 4;
    if (kind == 6) return (e->low < 0 && w < 0 ? -1 : 1) * ldexp(1 + u, (int)(60 * w) - 58);
    return e->low < 0 ? 2 * w : ldexp(1 + u, (int)(1000 * w));
}

static int wrong(const elementary *e, double (*f)(double), int points, uint64_t seed, double *first)
{
    int count = 0;
    for (int i = 0; i < points; i++) {
        const double x = argument(e, &seed);
        if (!same(f(x), nearest(e->exact, x)) && count++ == 0) *first = x;
    }
    return count;
}

/* evidence properties: N.14 */
START_TEST(random_arguments_are_rounded_correctly)
{
    const elementary *e = &elementaries[_i];
    const int points = light() ? 60 : e->points;
    double x = 0;
    const int count = wrong(e, e->f, points, 14 + (uint64_t)_i, &x);
    ck_assert_msg(count == 0, "%s: %d of %d not the nearest double, first at %a: got %a, nearest %a (N.14)", e->name,
                  count, points, x, e->f(x), nearest(e->exact, x));
}
END_TEST

/* Arguments on both sides of every way through the exponentials, and what is beyond them. */
static double special_argument(size_t i)
{
    static const double special[] = {
        0, -0.0, 0x1p-1074, -0x1p-1074, 0x1p-1022, -0x1p-1022, 0x1p-53, -0x1p-54, 0x1.7e43c8800759cp-996, 1, -1,
        -708, -0x1.6200000000001p9, 709, 0x1.6280000000001p9, 0x1.62e42fefa39efp9, 0x1.62e42fefa39fp9,
        -0x1.74910d52d3051p9, -0x1.74910d52d3052p9, -745, -746, -0x1.7500000000001p9, -1e300, 1e300,
        0x1.62e42fefa39efp-7, -0x1.62e42fefa39efp-7, 0x1.62e42fefa39fp-7, -0x1.62e42fefa39fp-7, 0x1.62e42fefa39efp-6,
        0x1.62e42fefa39efp-1, -0x1.62e42fefa39efp-1, -37, -38, 0x1.9e9cbbfd6080bp-31};
    const size_t specials = sizeof special / sizeof *special, corpora = sizeof corpus / sizeof *corpus;
    if (i < specials) return special[i];
    i -= specials;
    if (i < corpora) return corpus[i].x;
    return (const double[]){INFINITY, -INFINITY, NAN}[(i - corpora) % 3];
}

enum { ARGUMENTS = 120, MANY = 1000 };

/* Every kernel's exponentials of many, at every length up to 20 and in place, are those of one number, and those are the
 * nearest doubles. */
/* evidence properties: N.14 */
START_TEST(exponentials_of_many_are_those_of_one)
{
    const elementary *e = elementary_named(_i ? "expm1" : "exp");
    uint64_t state = 27;
    double x[MANY + 1], y[MANY + 1], one[MANY];
    for (size_t i = 0; i < MANY; i++) {
        x[i] = i < ARGUMENTS ? special_argument(i) : argument(e, &state);
        one[i] = e->f(x[i]);
        if (i < ARGUMENTS || !light()) SAME(one[i], nearest(e->exact, x[i]), "%s(%a), nearest", e->name, x[i]);
    }
    for (size_t kernel = 0; smoe_matmul_kernel(kernel); kernel++)
        for (size_t first = 0; first < MANY; first += 7) {
            const size_t n = first == 0 ? MANY : first % 21 < MANY - first ? first % 21 : 0;
            memcpy(y, x, sizeof y);
            y[first + n] = 42;
            smoe_exponential_on(kernel, _i == 1, n, x + first, y + first);
            for (size_t i = 0; i < n; i++)
                SAME(y[first + i], one[first + i], "%s(%a) of %zu on %s", e->name, x[first + i], n,
                     smoe_matmul_kernel(kernel));
            SAME(y[first + n], 42, "written beyond the end");
        }
    memcpy(y, x, sizeof y);
    (_i ? smoe_expm1_many : smoe_exp_many)(MANY, y, y);
    for (size_t i = 0; i < MANY; i++) SAME(y[i], one[i], "%s(%a) in place", e->name, x[i]);
}
END_TEST

/* Negative control: an exponential that is off by one unit of the last place once in 64 arguments. */
static double bent_exp(double x)
{
    const double y = smoe_exp(x);
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits % 64 == 0 ? nextafter(y, INF) : y;
}

START_TEST(a_bent_function_is_found)
{
    double x;
    const int points = light() ? 600 : 6000, count = wrong(elementary_named("exp"), bent_exp, points, 3, &x);
    ck_assert_msg(count > points / 256 && count < points / 16, "%d of %d found, one in 64 is wrong", count, points);
}
END_TEST

/* evidence properties: N.14 */
START_TEST(odd_functions_are_odd_and_all_are_monotonic)
{
    uint64_t state = 15;
    for (int i = 0; i < (light() ? 50 : 5000); i++) {
        const double x = ldexp(slopes_draw(&state), (int)(6 * slopes_draw(&state)));
        SAME(smoe_tanh(-x), -smoe_tanh(x), "tanh(-x) at %a", x);
        SAME(smoe_erf(-x), -smoe_erf(x), "erf(-x) at %a", x);
        const double next = nextafter(x, INF);
        ck_assert_msg(smoe_exp(x) <= smoe_exp(next) && smoe_expm1(x) <= smoe_expm1(next) &&
                          smoe_tanh(x) <= smoe_tanh(next) && smoe_erf(x) <= smoe_erf(next) &&
                          smoe_erfc(x) >= smoe_erfc(next) && smoe_log(fabs(x)) <= smoe_log(nextafter(fabs(x), INF)),
                      "a correctly rounded monotonic function is monotonic, but not at %a (N.14)", x);
    }
}
END_TEST

/* The caller's exponent range and flags of MPFR are given back, and do not matter: expm1(2^-52) needs MPFR. */
START_TEST(mpfr_state_is_the_callers)
{
    const mpfr_exp_t least = mpfr_get_emin(), most = mpfr_get_emax();
    mpfr_set_emin(-100);
    mpfr_set_emax(100);
    mpfr_clear_flags();
    SAME(smoe_expm1(0x1p-52), 0x1.0000000000001p-52, "with another exponent range");
    SAME(smoe_exp(-0x1.74910d52d3051p+9), 0x1p-1074, "with another exponent range");
    ck_assert_int_eq(mpfr_get_emin(), -100);
    ck_assert_int_eq(mpfr_get_emax(), 100);
    ck_assert_msg(!mpfr_inexflag_p() && !mpfr_underflow_p(), "MPFR's flags were left raised");
    mpfr_set_underflow();
    smoe_exp(0x1p-53);
    ck_assert_msg(mpfr_underflow_p(), "a flag of the caller's was cleared");
    mpfr_clear_flags();
    mpfr_set_emin(least);
    mpfr_set_emax(most);
}
END_TEST

/* It stands before MPFR's, which the library calls once for each number that it leaves to MPFR. */
static int left_to_mpfr;
int mpfr_subnormalize(mpfr_ptr y, int direction, mpfr_rnd_t r)
{
    int (*next)(mpfr_ptr, int, mpfr_rnd_t);
    *(void **)&next = dlsym(RTLD_NEXT, "mpfr_subnormalize");
    left_to_mpfr++;
    return next(y, direction, r);
}

/* Where long double has 64 bits, the interval that has to round to one double is 2^-58 of the value wide, and doubles are 2^-53 to
 * 2^-52 of it apart: one argument in 32 is left open at most; of logarithms, 2^-60, one in 128. */
START_TEST(few_numbers_are_left_to_mpfr)
{
#if LDBL_MANT_DIG == 64
    volatile long double one = 1, half = 0x1p-64L, last = 0x1p-63L;
    if (one + half - one != 0 || one + last - one != last) return; /* Valgrind */
    for (size_t i = 0; i < ELEMENTARIES; i++) {
        const elementary *e = &elementaries[i];
        const int points = 2000, most = strcmp(e->name, "log") == 0 ? 30 : 100;
        const double low = fmax(e->low, -5), high = fmin(e->high, 5);
        left_to_mpfr = 0;
        for (int j = 0; j < points; j++) e->f(low + (high - low) * (j + 0.5) / points);
        ck_assert_msg(left_to_mpfr <= most, "%s leaves %d of %d to MPFR (N.14)", e->name, left_to_mpfr, points);
    }
    left_to_mpfr = 0;
    smoe_log(-1);
    ck_assert_int_eq(left_to_mpfr, 1);
#endif
}
END_TEST

/* With the x87 unit set to 53 bits, or to round upward, the bits stay the same: MPFR takes over (N.5). */
/* evidence properties: N.5 */
START_TEST(x87_settings_do_not_matter)
{
#ifdef __x86_64__
    fpu_control_t saved, changed;
    _FPU_GETCW(saved);
    changed = (fpu_control_t)((saved & ~_FPU_EXTENDED) | _FPU_DOUBLE);
    _FPU_SETCW(changed);
    check_corpus(" with 53 bits in the x87 unit");
    changed = (fpu_control_t)(saved | _FPU_RC_UP);
    _FPU_SETCW(changed);
    check_corpus(" with the x87 unit rounding upward");
    _FPU_SETCW(saved);
#endif
}
END_TEST

/* --- N.15 to N.21: what is built on them -------------------------------------------------------------------------- */

enum { BITS = 1400 }; /* enough for a difference of e^-700 beside 1 */

/* The functions by their definitions, in MPFR.  y and x are different. */
static int define_sigmoid(mpfr_ptr y, mpfr_srcptr x, mpfr_rnd_t r)
{
    mpfr_neg(y, x, r);
    mpfr_exp(y, y, r);
    mpfr_add_ui(y, y, 1, r);
    return mpfr_ui_div(y, 1, y, r);
}

static int define_softplus(mpfr_ptr y, mpfr_srcptr x, mpfr_rnd_t r)
{
    mpfr_exp(y, x, r);
    return mpfr_log1p(y, y, r);
}

static int define_silu(mpfr_ptr y, mpfr_srcptr x, mpfr_rnd_t r)
{
    define_sigmoid(y, x, r);
    return mpfr_mul(y, y, x, r);
}

static int define_cdf(mpfr_ptr y, mpfr_srcptr x, mpfr_rnd_t r)
{
    mpfr_t root;
    mpfr_init2(root, BITS);
    mpfr_sqrt_ui(root, 2, r);
    mpfr_div(y, x, root, r);
    mpfr_neg(y, y, r);
    mpfr_erfc(y, y, r);
    mpfr_clear(root);
    return mpfr_div_ui(y, y, 2, r);
}

static int define_pdf(mpfr_ptr y, mpfr_srcptr x, mpfr_rnd_t r)
{
    mpfr_t root;
    mpfr_init2(root, BITS);
    mpfr_const_pi(root, r);
    mpfr_mul_ui(root, root, 2, r);
    mpfr_sqrt(root, root, r);
    mpfr_sqr(y, x, r);
    mpfr_div_si(y, y, -2, r);
    mpfr_exp(y, y, r);
    mpfr_div(y, y, root, r);
    mpfr_clear(root);
    return 0;
}

static int define_gelu(mpfr_ptr y, mpfr_srcptr x, mpfr_rnd_t r)
{
    define_cdf(y, x, r);
    return mpfr_mul(y, y, x, r);
}

/* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), 0.044715 the decimal number. */
static int define_gelu_tanh(mpfr_ptr y, mpfr_srcptr x, mpfr_rnd_t r)
{
    mpfr_t u, t;
    mpfr_inits2(BITS, u, t, (mpfr_ptr)0);
    mpfr_sqr(u, x, r);
    mpfr_mul_ui(u, u, 44715, r);
    mpfr_div_ui(u, u, 1000000, r);
    mpfr_add_ui(u, u, 1, r);
    mpfr_mul(u, u, x, r);
    mpfr_const_pi(t, r);
    mpfr_ui_div(t, 2, t, r);
    mpfr_sqrt(t, t, r);
    mpfr_mul(u, u, t, r);
    mpfr_tanh(u, u, r);
    mpfr_add_ui(u, u, 1, r);
    mpfr_mul(y, u, x, r);
    mpfr_clears(u, t, (mpfr_ptr)0);
    return mpfr_div_ui(y, y, 2, r);
}

/* f_ulps, deriv_ulps: the worst errors between low and high, in units of the last place; where a value is subnormal
 * nothing is claimed here. */
typedef struct {
    const char *name;
    double (*f)(double), (*deriv)(double);
    mpfr_function *define;
    double low, high, f_ulps, deriv_ulps;
} smooth;

static const smooth smooths[] = {
    {"exp (N.14)", smoe_exp, smoe_exp_deriv, mpfr_exp, -700, 700, 0.51, 0.51},
    {"expm1 (N.14)", smoe_expm1, smoe_expm1_deriv, mpfr_expm1, -700, 700, 0.51, 0.51},
    {"log (N.14)", smoe_log, smoe_log_deriv, mpfr_log, 0x1p-20, 100, 0.51, 0.51},
    {"log1p (N.14)", smoe_log1p, smoe_log1p_deriv, mpfr_log1p, -0.9999, 100, 0.51, 1.01},
    {"tanh (N.14)", smoe_tanh, smoe_tanh_deriv, mpfr_tanh, -300, 300, 0.51, 4},
    {"erf (N.14)", smoe_erf, smoe_erf_deriv, mpfr_erf, -26, 26, 0.51, 2.5},
    {"erfc (N.14)", smoe_erfc, smoe_erfc_deriv, mpfr_erfc, -26, 26, 0.51, 2.5},
    {"sigmoid (N.15)", smoe_sigmoid, smoe_sigmoid_deriv, define_sigmoid, -700, 700, 2.5, 4},
    {"softplus (N.16)", smoe_softplus, smoe_softplus_deriv, define_softplus, -700, 700, 2.5, 2.5},
    {"silu (N.17)", smoe_silu, smoe_silu_deriv, define_silu, -700, 700, 3.5, 6},
    {"gelu (N.18)", smoe_gelu, smoe_gelu_deriv, define_gelu, -37, 37, 2.5, 6},
    {"gelu_tanh (N.19)", smoe_gelu_tanh, smoe_gelu_tanh_deriv, define_gelu_tanh, -6, 6, 60, 80},
    {"normal_cdf (N.20)", smoe_normal_cdf, smoe_normal_cdf_deriv, define_cdf, -37, 37, 2, 3},
    {"normal_pdf (N.21)", smoe_normal_pdf, smoe_normal_pdf_deriv, define_pdf, -37, 37, 3, 4},
};
enum { SMOOTHS = sizeof smooths / sizeof *smooths };

static double value_of(const smooth *s, double x)
{
    mpfr_t v, y;
    mpfr_inits2(BITS, v, y, (mpfr_ptr)0);
    mpfr_set_d(v, x, MPFR_RNDN);
    s->define(y, v, MPFR_RNDN);
    const double r = mpfr_get_d(y, MPFR_RNDN);
    mpfr_clears(v, y, (mpfr_ptr)0);
    return r;
}

/* (f(x+h) - f(x-h)) / 2h with h = 2^-80: the derivative to more than the precision of a double. */
static double slope_of(const smooth *s, double x)
{
    mpfr_t up, down, v;
    mpfr_inits2(BITS, up, down, v, (mpfr_ptr)0);
    mpfr_set_d(up, x, MPFR_RNDN);
    mpfr_add_d(up, up, 0x1p-80, MPFR_RNDN);
    mpfr_set_d(down, x, MPFR_RNDN);
    mpfr_sub_d(down, down, 0x1p-80, MPFR_RNDN);
    s->define(v, up, MPFR_RNDN);
    s->define(up, down, MPFR_RNDN);
    mpfr_sub(v, v, up, MPFR_RNDN);
    mpfr_mul_2si(v, v, 79, MPFR_RNDN);
    const double r = mpfr_get_d(v, MPFR_RNDN);
    mpfr_clears(up, down, v, (mpfr_ptr)0);
    return r;
}

static double place(const smooth *s, uint64_t *state, int i)
{
    const double u = fabs(slopes_draw(state)), w = slopes_draw(state);
    const double x = i % 2 ? s->low + u * (s->high - s->low) : 3 * w;
    return x > s->low ? x : s->low + u * 3;
}

/* evidence properties: N.15 N.16 N.17 N.18 N.19 N.20 N.21 */
START_TEST(values_are_accurate)
{
    const smooth *s = &smooths[_i];
    uint64_t state = 100 + (uint64_t)_i;
    for (int i = 0; i < (light() ? 20 : 600); i++) {
        const double x = place(s, &state, i), want = value_of(s, x);
        WITHIN(s->f(x), want, s->f_ulps, "%s at %a", s->name, x);
    }
}
END_TEST

/* First method: the derivative against a difference quotient of the definition in 1400 bits.  Near a zero of the
 * derivative (SiLU at -1.278, GELU at -0.752) the error is measured in units of a slope of 1/4. */
/* evidence gradient: N.14 N.15 N.16 N.17 N.18 N.19 N.20 N.21 */
START_TEST(derivatives_are_the_slopes_of_the_definitions)
{
    const smooth *s = &smooths[_i];
    uint64_t state = 200 + (uint64_t)_i;
    for (int i = 0; i < (light() ? 10 : 300); i++) {
        const double x = place(s, &state, i), want = slope_of(s, x), got = s->deriv(x);
        const bool root = x > -3 && x < 3 && fabs(want) < 0.25;
        const double off = root ? fabs(got - want) * 0x1p54 : ulps(got, want);
        ck_assert_msg(off <= s->deriv_ulps, "%s: the derivative at %a is %a, the slope %a, %.3g ulp off", s->name, x,
                      got, want, off);
    }
}
END_TEST

/* Second method: the library's own function by central differences in double. */
/* evidence gradient: N.14 N.15 N.16 N.17 N.18 N.19 N.20 N.21 */
START_TEST(derivatives_belong_to_the_functions)
{
    const smooth *s = &smooths[_i];
    uint64_t state = 300 + (uint64_t)_i;
    const double h = 0x1p-17;
    for (int i = 0; i < (light() ? 20 : 1000); i++) {
        double x = 4 * slopes_draw(&state);
        if (!(x > s->low + 0.5)) x = s->low + 0.5 + fabs(x);
        const double slope = (s->f(x + h) - s->f(x - h)) / (2 * h), got = s->deriv(x);
        const double size = fmax(fabs(got), fmax(fabs(s->f(x)), 0.1));
        ck_assert_msg(fabs(slope - got) <= 1e-9 * size, "%s at %a: derivative %.17g, difference quotient %.17g",
                      s->name, x, got, slope);
    }
}
END_TEST

/* With ln 3 = 1.0986...: sigmoid(ln 3) = 3/4 (so sigmoid' = 3/16), softplus(ln 3) = ln 4, silu(ln 3) = 3/4 ln 3. */
/* evidence hand: N.15 N.16 N.17 */
START_TEST(logistic_functions_by_hand)
{
    const double ln3 = 0x1.193ea7aad030bp0, ln2 = 0x1.62e42fefa39efp-1;
    SAME(smoe_sigmoid(0), 0.5, "sigmoid(0) = 1/2 (N.15)");
    WITHIN(smoe_sigmoid(ln3), 0.75, 2, "sigmoid(ln 3) = 3/4 (N.15)");
    WITHIN(smoe_sigmoid(-ln3), 0.25, 2, "sigmoid(-ln 3) = 1/4 (N.15)");
    SAME(smoe_sigmoid_deriv(0), 0.25, "sigmoid'(0) = 1/4 (N.15)");
    WITHIN(smoe_sigmoid_deriv(ln3), 0.1875, 3, "sigmoid'(ln 3) = 3/4 1/4 (N.15)");
    SAME(smoe_softplus(0), ln2, "softplus(0) = ln 2 (N.16)");
    WITHIN(smoe_softplus(ln3), 2 * ln2, 2, "softplus(ln 3) = ln 4 (N.16)");
    WITHIN(smoe_softplus(-ln3), 0x1.269621134db92p-2, 2, "softplus(-ln 3) = ln(4/3) (N.16)");
    SAME(smoe_softplus_deriv(0), 0.5, "softplus'(0) = 1/2 (N.16)");
    SAME(smoe_softplus(21) - 21, 213430 * 0x1p-48, "e^-21 = 213430.10 units of 2^-48, the last place of 21 (N.16)");
    SAME(smoe_silu(0), 0, "silu(0) = 0 (N.17)");
    WITHIN(smoe_silu(ln3), 0.75 * ln3, 2, "silu(ln 3) = 3/4 ln 3 (N.17)");
    SAME(smoe_silu_deriv(0), 0.5, "silu'(0) = 1/2 (N.17)");
    WITHIN(smoe_silu_deriv(ln3), 0.75 * (1 + 0.25 * ln3), 3, "silu'(ln 3) = 3/4 (1 + 1/4 ln 3) (N.17)");
}
END_TEST

/* Phi(1) = 0.841344746068542948585..., phi(0) = 1/sqrt(2 pi) = 0.398942280401432677939..., phi(1) = phi(0)/sqrt(e). */
/* evidence hand: N.18 N.19 N.20 N.21 */
START_TEST(normal_functions_by_hand)
{
    const double Phi1 = 0.84134474606854294859, phi0 = 0.39894228040143267794, phi1 = 0.24197072451914334980;
    SAME(smoe_normal_cdf(0), 0.5, "Phi(0) = 1/2 (N.20)");
    WITHIN(smoe_normal_cdf(1), Phi1, 1, "Phi(1) (N.20)");
    WITHIN(smoe_normal_cdf(-1), 0.15865525393145705141, 1, "Phi(-1) = 1 - Phi(1) (N.20)");
    WITHIN(smoe_normal_cdf(-10), 7.6198530241605260660e-24, 2, "Phi(-10): 1 - Phi(10) is 0 in double (N.20)");
    WITHIN(smoe_normal_pdf(0), phi0, 1, "phi(0) (N.21)");
    WITHIN(smoe_normal_pdf(-1), phi1, 2, "phi(-1) = phi(1) (N.21)");
    WITHIN(smoe_normal_pdf_deriv(1), -phi1, 2, "phi'(1) = -phi(1) (N.21)");
    SAME(smoe_gelu(0), 0, "GELU(0) = 0 (N.18)");
    WITHIN(smoe_gelu(1), Phi1, 1, "GELU(1) = Phi(1) (N.18)");
    WITHIN(smoe_gelu(-1), -0.15865525393145705141, 1, "GELU(-1) = -Phi(-1) (N.18)");
    SAME(smoe_gelu_deriv(0), 0.5, "GELU'(0) = Phi(0) (N.18)");
    WITHIN(smoe_gelu_deriv(1), Phi1 + phi1, 2, "GELU'(1) = Phi(1) + phi(1) (N.18)");
    SAME(smoe_gelu_tanh(0), 0, "tanh form at 0 (N.19)");
    SAME(smoe_gelu_tanh_deriv(0), 0.5, "slope of the tanh form at 0 (N.19)");
    /* u = sqrt(2/pi) 1.044715 = 0.83356..., (1 + tanh u)/2 = 0.841191990608276... */
    ck_assert_msg(fabs(smoe_gelu_tanh(1) - 0.841191990608276) < 1e-15, "tanh form at 1: %.17g (N.19)",
                  smoe_gelu_tanh(1));
    ck_assert_msg(fabs(smoe_gelu_tanh(1) - smoe_gelu(1)) > 1e-4, "the two forms differ by 1.5e-4 at 1 (N.18, N.19)");
}
END_TEST

/* evidence properties: N.15 N.16 N.17 N.18 N.19 N.20 N.21 */
START_TEST(symmetries)
{
    uint64_t state = 16;
    for (int i = 0; i < (light() ? 50 : 3000); i++) {
        const double x = ldexp(slopes_draw(&state), (int)(6 * slopes_draw(&state)));
        WITHIN(smoe_sigmoid(x) + smoe_sigmoid(-x), 1, 2, "sigmoid(x) + sigmoid(-x) at %a", x);
        SAME(smoe_sigmoid_deriv(x), smoe_sigmoid_deriv(-x), "sigmoid' is even, at %a", x);
        ck_assert_msg(fabs(smoe_softplus(x) - smoe_softplus(-x) - x) <= 0x1p-51 * (1 + fabs(x)),
                      "softplus(x) - softplus(-x) = x fails at %a", x);
        ck_assert_msg(fabs(smoe_silu(x) - smoe_silu(-x) - x) <= 0x1p-51 * (1 + fabs(x)),
                      "silu(x) - silu(-x) = x fails at %a", x); /* x (S(x) + S(-x)) */
        ck_assert_msg(fabs(smoe_gelu(x) - smoe_gelu(-x) - x) <= 0x1p-51 * (1 + fabs(x)),
                      "GELU(x) - GELU(-x) = x fails at %a", x);
        ck_assert_msg(fabs(smoe_gelu_tanh(x) - smoe_gelu_tanh(-x) - x) <= 0x1p-51 * (1 + fabs(x)),
                      "the same for the tanh form fails at %a", x);
        WITHIN(smoe_normal_cdf(x) + smoe_normal_cdf(-x), 1, 2, "Phi(x) + Phi(-x) at %a", x);
        SAME(smoe_normal_pdf(x), smoe_normal_pdf(-x), "phi is even, at %a", x);
    }
}
END_TEST

/* At the ends of the format nothing overflows, and the limits are met; subnormal arguments keep their slope. */
/* evidence properties: N.7 N.14 N.15 N.16 N.17 N.18 N.19 N.20 N.21 */
START_TEST(extreme_arguments)
{
    static const double size[] = {50, 700, 800, 1e4, 1e103, 1e160, 1e200, DBL_MAX};
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        const double x = size[i];
        for (size_t s = 4; s < SMOOTHS; s++)
            for (int sign = -1; sign <= 1; sign += 2)
                ck_assert_msg(isfinite(smooths[s].f(sign * x)) && isfinite(smooths[s].deriv(sign * x)),
                              "%s is not finite at %g", smooths[s].name, sign * x);
        SAME(smoe_sigmoid(x), 1, "sigmoid(%g)", x);
        SAME(smoe_softplus(x), x, "softplus(%g): e^-x is below half a unit", x);
        SAME(smoe_silu(x), x, "silu(%g)", x);
        SAME(smoe_gelu(x), x, "gelu(%g)", x);
        SAME(smoe_gelu_tanh(x), x, "gelu_tanh(%g)", x);
        SAME(smoe_gelu(-x), -0.0, "gelu(%g)", -x);
        SAME(smoe_normal_cdf(x), 1, "Phi(%g)", x);
        SAME(smoe_normal_cdf(-x), 0, "Phi(%g)", -x);
        SAME(smoe_normal_pdf(x), 0, "phi(%g)", x);
        SAME(smoe_silu_deriv(x), 1, "silu'(%g)", x);
        SAME(smoe_gelu_deriv(x), 1, "gelu'(%g)", x);
        SAME(smoe_gelu_tanh_deriv(x), 1, "gelu_tanh'(%g)", x);
    }
    SAME(smoe_sigmoid(-800), 0, "sigmoid(-800)");
    SAME(smoe_softplus(-800), 0, "softplus(-800)");
    SAME(smoe_softplus(-740), smoe_exp(-740), "softplus(-740) is subnormal");
    SAME(smoe_silu(-800), -0.0, "silu(-800)");
    SAME(smoe_silu(-0.0), -0.0, "silu(-0)");
    SAME(smoe_gelu(-0.0), -0.0, "gelu(-0)");
    SAME(smoe_sigmoid(0x1p-1074), 0.5, "sigmoid of a subnormal");
    SAME(smoe_silu(0x1p-1073), 0x1p-1074, "silu of a subnormal: half of it");
    SAME(smoe_normal_cdf(0x1p-1074), 0.5, "Phi of a subnormal");
}
END_TEST

/* --- N.22, N.23: softmax and logsumexp ---------------------------------------------------------------------------- */

/* z = (0, ln 3): p = (1/4, 3/4), lse = ln 4.  dp = (1, 0): <p,dp> = 1/4, dz = (1/4 3/4, 3/4 (-1/4)). */
/* evidence hand: N.22 N.23 */
START_TEST(softmax_by_hand)
{
    const double ln3 = 0x1.193ea7aad030bp0, ln2 = 0x1.62e42fefa39efp-1, z[] = {0, ln3};
    double p[4], dz[4], lse;
    ck_assert_int_eq(smoe_softmax(2, z, p), SMOE_OK);
    WITHIN(p[0], 0.25, 2, "p_0 (N.22)");
    WITHIN(p[1], 0.75, 2, "p_1 (N.22)");
    ck_assert_int_eq(smoe_logsumexp(2, z, &lse), SMOE_OK);
    WITHIN(lse, 2 * ln2, 2, "ln(1 + 3) (N.23)");
    ck_assert_int_eq(smoe_logsumexp_vjp(2, z, lse, 4, dz), SMOE_OK);
    WITHIN(dz[0], 1, 4, "4 p_0 (N.23)");
    WITHIN(dz[1], 3, 4, "4 p_1 (N.23)");
    /* exact: p = (1/4, 3/4), dp = (1, 0) */
    ck_assert_int_eq(smoe_softmax_vjp(2, (double[]){0.25, 0.75}, (double[]){1, 0}, dz), SMOE_OK);
    SAME(dz[0], 0.1875, "1/4 (1 - 1/4) (N.22)");
    SAME(dz[1], -0.1875, "3/4 (0 - 1/4) (N.22)");
    /* four equal logits */
    ck_assert_int_eq(smoe_softmax(4, (double[]){7, 7, 7, 7}, p), SMOE_OK);
    for (int i = 0; i < 4; i++) SAME(p[i], 0.25, "four equal logits (N.22)");
    ck_assert_int_eq(smoe_logsumexp(4, (double[]){7, 7, 7, 7}, &lse), SMOE_OK);
    SAME(lse, 7 + 2 * ln2, "7 + ln 4 (N.23)");
    ck_assert_int_eq(smoe_softmax(1, (double[]){-3}, p), SMOE_OK);
    SAME(p[0], 1, "one logit (N.22)");
    ck_assert_int_eq(smoe_softmax_vjp(1, p, (double[]){5}, dz), SMOE_OK);
    SAME(dz[0], 0, "one logit: no gradient (N.22)");
    ck_assert_int_eq(smoe_logsumexp(1, (double[]){-3}, &lse), SMOE_OK);
    SAME(lse, -3, "one logit (N.23)");
}
END_TEST

/* evidence properties: N.22 N.23 */
START_TEST(softmax_properties)
{
    uint64_t state = 22;
    for (int round = 0; round < (light() ? 20 : 500); round++) {
        const size_t N = 1 + (size_t)round % 9;
        double z[9], moved[9], p[9], q[9], lse, up;
        for (size_t i = 0; i < N; i++) z[i] = ldexp(rint(1024 * slopes_draw(&state)), -7);
        for (size_t i = 0; i < N; i++) moved[i] = z[i] + 1024; /* exact */
        ck_assert_int_eq(smoe_softmax(N, z, p), SMOE_OK);
        ck_assert_int_eq(smoe_softmax(N, moved, q), SMOE_OK);
        ck_assert_msg(memcmp(p, q, N * sizeof *p) == 0, "an exact shift of the logits changes bits of p, N=%zu", N);
        WITHIN(smoe_sum(N, p), 1, (double)N, "sum of p, N=%zu", N);
        ck_assert_int_eq(smoe_logsumexp(N, z, &lse), SMOE_OK);
        ck_assert_int_eq(smoe_logsumexp(N, moved, &up), SMOE_OK);
        ck_assert_msg(fabs(up - lse - 1024) <= 0x1p-42, "lse(z + 1024) - lse(z) = %.17g, N=%zu", up - lse, N);
        double largest = z[0];
        for (size_t i = 1; i < N; i++) largest = fmax(largest, z[i]);
        ck_assert_msg(lse >= largest && lse <= largest + log((double)N) + 1e-15 * (1 + fabs(largest)),
                      "max <= lse <= max + ln N fails");
        for (size_t i = 0; i < N; i++) {
            ck_assert_msg(p[i] >= 0 && p[i] <= 1, "p out of [0,1]");
            for (size_t j = 0; j < N; j++)
                ck_assert_msg(!(z[i] > z[j]) || p[i] >= p[j], "a larger logit has a smaller probability");
        }
    }
}
END_TEST

/* evidence properties: N.22 N.23 */
START_TEST(softmax_of_huge_logits)
{
    double p[3], lse, dz[3];
    ck_assert_int_eq(smoe_softmax(3, (double[]){DBL_MAX, -DBL_MAX, DBL_MAX}, p), SMOE_OK);
    SAME(p[0], 0.5, "two at the top of the format");
    SAME(p[1], 0, "one at the bottom");
    ck_assert_int_eq(smoe_logsumexp(3, (double[]){DBL_MAX, -DBL_MAX, DBL_MAX}, &lse), SMOE_OK);
    SAME(lse, DBL_MAX, "ln 2 is nothing there");
    ck_assert_int_eq(smoe_logsumexp_vjp(3, (double[]){DBL_MAX, -DBL_MAX, 0}, DBL_MAX, 1, dz), SMOE_OK);
    SAME(dz[0], 1, "all weight on the largest");
    SAME(dz[1], 0, "none on the others");
    ck_assert_int_eq(smoe_softmax(3, (double[]){-1e6, -1e6, -1e6 - 800}, p), SMOE_OK);
    SAME(p[1], 0.5, "far below 0");
    SAME(p[2], 0, "e^-800 / 2");
    ck_assert_int_eq(smoe_softmax(3, (double[]){0, -0.0, 0x1p-1074}, p), SMOE_OK);
    SAME(p[0], 0x1.5555555555555p-2, "zeros of both signs and a subnormal: 1/3");
}
END_TEST

typedef struct {
    size_t N;
    const double *g;
} vector_test;

static long double exact_lse(size_t N, const long double *z)
{
    long double s = 0, m = z[0];
    for (size_t i = 1; i < N; i++) m = fmaxl(m, z[i]);
    for (size_t i = 0; i < N; i++) s += expl(z[i] - m);
    return m + logl(s);
}

static long double lse_exact(const void *test, const long double *z)
{
    const vector_test *v = test;
    return v->g[0] * exact_lse(v->N, z);
}

static double lse_library(const void *test, const double *z)
{
    const vector_test *v = test;
    double lse;
    smoe_logsumexp(v->N, z, &lse);
    return v->g[0] * lse;
}

static long double softmax_exact(const void *test, const long double *z)
{
    const vector_test *v = test;
    const long double lse = exact_lse(v->N, z);
    long double s = 0;
    for (size_t i = 0; i < v->N; i++) s += v->g[i] * expl(z[i] - lse);
    return s;
}

static double softmax_library(const void *test, const double *z)
{
    const vector_test *v = test;
    double p[16];
    smoe_softmax(v->N, z, p);
    return smoe_dot(v->N, v->g, p);
}

static long double norm_exact(const void *test, const long double *x)
{
    const vector_test *v = test;
    long double s = 0;
    for (size_t i = 0; i < v->N; i++) s += x[i] * x[i];
    return v->g[0] * sqrtl(s);
}

static double norm_library(const void *test, const double *x)
{
    const vector_test *v = test;
    double norm;
    smoe_norm(v->N, x, &norm);
    return v->g[0] * norm;
}

/* The K = 3 largest by their ranks, from the definition. */
enum { TOP = 3 };
static long double topk_exact(const void *test, const long double *s)
{
    const vector_test *v = test;
    long double sum = 0;
    for (size_t i = 0; i < v->N; i++) {
        size_t rank = 0;
        for (size_t j = 0; j < v->N; j++) rank += s[j] > s[i] || (s[j] == s[i] && j < i);
        if (rank < TOP) sum += v->g[rank] * s[i] * s[i] / 2; /* a linear functional would have no remainder */
    }
    return sum;
}

static double topk_library(const void *test, const double *s)
{
    const vector_test *v = test;
    size_t index[TOP];
    double value[TOP], margin;
    smoe_topk(v->N, TOP, s, index, value, &margin);
    return (v->g[0] * value[0] * value[0] + v->g[1] * value[1] * value[1] + v->g[2] * value[2] * value[2]) / 2;
}

static void vector_gradient(int which, const vector_test *v, const double *x, double *dx)
{
    double p[16], value, margin, top[TOP];
    size_t index[TOP];
    switch (which) {
    case 0:
        smoe_softmax(v->N, x, p), smoe_softmax_vjp(v->N, p, v->g, dx);
        break;
    case 1:
        smoe_logsumexp(v->N, x, &value), smoe_logsumexp_vjp(v->N, x, value, v->g[0], dx);
        break;
    case 2:
        smoe_norm(v->N, x, &value), smoe_norm_vjp(v->N, x, value, v->g[0], dx);
        break;
    default:
        smoe_topk(v->N, TOP, x, index, top, &margin);
        for (int j = 0; j < TOP; j++) top[j] *= v->g[j];
        smoe_topk_vjp(v->N, TOP, index, top, dx);
    }
}

/* evidence gradient: N.22 N.23 N.24 N.25 */
START_TEST(vector_gradients)
{
    static const slopes_exact exact[] = {softmax_exact, lse_exact, norm_exact, topk_exact};
    static const slopes_library library[] = {softmax_library, lse_library, norm_library, topk_library};
    static const char *const name[] = {"softmax (N.22)", "logsumexp (N.23)", "norm (N.24)", "top-k (N.25)"};
    volatile long double one = 1, more = one + 0x1p-60L;
    const double least = more != one ? 1.8 : 1.4; /* a narrow long double blurs the smallest steps */
    for (uint64_t seed = 1; seed <= 20; seed++) {
        double x[12], g[12], dx[12];
        const vector_test v = {3 + seed % 9, g};
        uint64_t state = seed;
        slopes_fill(&state, 3, v.N, x), slopes_fill(&state, 1, v.N, g);
        vector_gradient(_i, &v, x, dx);
        const double order = slopes_order(v.N, x, dx, exact[_i], &v, seed + 1000);
        const double off = slopes_adjoint(v.N, x, dx, library[_i], &v, 0, v.N, seed + 2000);
        ck_assert_msg(order > least, "%s, seed %d: Taylor remainder falls with order %.3f, not 2", name[_i], (int)seed,
                      order);
        ck_assert_msg(off <= 1e-8, "%s, seed %d: <cotangent, J v> and <gradient, v> differ by %.1e", name[_i],
                      (int)seed, off);
    }
}
END_TEST

/* Negative control of the two checks above: a softmax gradient without its mean term. */
START_TEST(a_wrong_gradient_is_found)
{
    double x[6], g[6], p[6], dx[6];
    const vector_test v = {6, g};
    uint64_t state = 4;
    slopes_fill(&state, 2, 6, x), slopes_fill(&state, 1, 6, g);
    smoe_softmax(6, x, p);
    for (size_t i = 0; i < 6; i++) dx[i] = p[i] * g[i];
    ck_assert(slopes_order(6, x, dx, softmax_exact, &v, 1) < 1.3);
    ck_assert(slopes_adjoint(6, x, dx, softmax_library, &v, 0, 6, 1) > 1e-3);
}
END_TEST

/* --- N.24: norm --------------------------------------------------------------------------------------------------- */

/* evidence hand: N.24 */
START_TEST(norm_by_hand)
{
    double norm, dx[3];
    ck_assert_int_eq(smoe_norm(2, (double[]){3, -4}, &norm), SMOE_OK);
    SAME(norm, 5, "3-4-5 (N.24)");
    ck_assert_int_eq(smoe_norm(3, (double[]){1, 2, -2}, &norm), SMOE_OK);
    SAME(norm, 3, "1 + 4 + 4 = 9 (N.24)");
    ck_assert_int_eq(smoe_norm_vjp(2, (double[]){3, -4}, 5, 10, dx), SMOE_OK);
    SAME(dx[0], 10 * 0.6, "10 * 3/5 (N.24)");
    SAME(dx[1], -10 * 0.8, "10 * -4/5 (N.24)");
    ck_assert_int_eq(smoe_norm(0, NULL, &norm), SMOE_OK);
    SAME(norm, 0, "no coordinates (N.24)");
    ck_assert_int_eq(smoe_norm(2, (double[]){0, -0.0}, &norm), SMOE_OK);
    SAME(norm, 0, "the zero vector (N.24)");
    dx[0] = dx[1] = 9;
    ck_assert_int_eq(smoe_norm_vjp(2, (double[]){0, -0.0}, 0, 3, dx), SMOE_OK);
    ck_assert_msg(dx[0] == 0 && dx[1] == 0, "the gradient at the zero vector is 0 (N.24)");
}
END_TEST

/* evidence properties: N.24 */
START_TEST(norm_properties)
{
    double norm, scaled, x[8], y[8];
    ck_assert_int_eq(smoe_norm(2, (double[]){3 * 0x1p-1074, 4 * 0x1p-1074}, &norm), SMOE_OK);
    SAME(norm, 5 * 0x1p-1074, "3-4-5 at the bottom of the format (N.24)");
    ck_assert_int_eq(smoe_norm(2, (double[]){3 * 0x1p1020, 4 * 0x1p1020}, &norm), SMOE_OK);
    SAME(norm, 5 * 0x1p1020, "3-4-5 near the top of the format (N.24)");
    ck_assert_int_eq(smoe_norm(1, (double[]){-DBL_MAX}, &norm), SMOE_OK);
    SAME(norm, DBL_MAX, "one coordinate (N.24)");
    ck_assert_int_eq(smoe_norm(2, (double[]){DBL_MAX, 1}, &norm), SMOE_OK);
    SAME(norm, DBL_MAX, "the small one is lost, nothing overflows (N.24)");
    uint64_t state = 24;
    for (int round = 0; round < (light() ? 20 : 400); round++) {
        const int k = (int)(1000 * slopes_draw(&state));
        slopes_fill(&state, 1, 8, x);
        for (int i = 0; i < 8; i++) y[i] = ldexp(x[i], k);
        smoe_norm(8, x, &norm), smoe_norm(8, y, &scaled);
        SAME(scaled, ldexp(norm, k), "|2^%d x| = 2^%d |x| to the bit (N.24)", k, k);
        long double s = 0;
        for (int i = 0; i < 8; i++) s += (long double)x[i] * x[i];
        WITHIN(norm, (double)sqrtl(s), 4, "the norm itself (N.24)");
    }
}
END_TEST

/* --- N.25: top-k -------------------------------------------------------------------------------------------------- */

/* evidence hand: N.25 */
START_TEST(topk_by_hand)
{
    size_t index[4];
    double value[4], margin, ds[5];
    ck_assert_int_eq(smoe_topk(5, 2, (double[]){1, 4, 2, 4, 3}, index, value, &margin), SMOE_OK);
    ck_assert_msg(index[0] == 1 && index[1] == 3, "4 stands at 1 and 3; got %zu, %zu (N.25)", index[0], index[1]);
    SAME(value[0], 4, "value 0");
    SAME(margin, 1, "4 - 3 (N.25)");
    ck_assert_int_eq(smoe_topk(5, 3, (double[]){2, 5, 2, 2, 7}, index, value, &margin), SMOE_OK);
    ck_assert_msg(index[0] == 4 && index[1] == 1 && index[2] == 0, "7, 5, then the first of three 2s (N.25)");
    SAME(margin, 0, "the third is tied (N.25)");
    ck_assert_int_eq(smoe_topk(3, 3, (double[]){-1, 0, -2}, index, value, &margin), SMOE_OK);
    ck_assert_msg(index[0] == 1 && index[1] == 0 && index[2] == 2, "K = N sorts (N.25)");
    SAME(margin, INF, "nobody is left out (N.25)");
    ck_assert_int_eq(smoe_topk(3, 1, (double[]){-0.0, 0, -0.0}, index, value, &margin), SMOE_OK);
    ck_assert_msg(index[0] == 0, "-0 equals 0: the lowest index wins, got %zu (N.25)", index[0]);
    SAME(value[0], -0.0, "the value is the element itself (N.25)");
    ck_assert_msg(margin == 0, "a tie (N.25)");
    ck_assert_int_eq(smoe_topk(1, 1, (double[]){-5}, index, value, &margin), SMOE_OK);
    ck_assert_msg(index[0] == 0 && margin == INF, "N = K = 1 (N.25)");
    ck_assert_int_eq(smoe_topk(2, 1, (double[]){-DBL_MAX, DBL_MAX}, index, value, &margin), SMOE_OK);
    SAME(margin, INF, "a margin above the format is +inf (N.25)");
    ck_assert_int_eq(smoe_topk_vjp(5, 2, (size_t[]){3, 1}, (double[]){10, 20}, ds), SMOE_OK);
    for (int i = 0; i < 5; i++) SAME(ds[i], ((double[]){0, 20, 0, 10, 0})[i], "ds_%d (N.25)", i);
    ck_assert_int_eq(smoe_topk_vjp(3, 2, (size_t[]){2, 2}, (double[]){10, 20}, ds), SMOE_OK);
    SAME(ds[2], 30, "an index named twice collects both (N.25)");
}
END_TEST

/* Against ranks counted from the definition: another algorithm. */
/* evidence properties: N.9 N.25 */
START_TEST(topk_properties)
{
    uint64_t state = 25;
    for (int round = 0; round < (light() ? 100 : 5000); round++) {
        const size_t N = 1 + (size_t)(fabs(slopes_draw(&state)) * 12), K = 1 + (size_t)round % N;
        const double levels = round % 3 == 0 ? 2 : round % 3 == 1 ? 5 : 1e6;
        double s[16], value[16], margin, largest_left = -INF;
        size_t index[16];
        for (size_t i = 0; i < N; i++) s[i] = rint(levels * slopes_draw(&state)) * (round % 5 ? 1 : 0x1p-1074);
        ck_assert_int_eq(smoe_topk(N, K, s, index, value, &margin), SMOE_OK);
        for (size_t i = 0; i < N; i++) {
            size_t rank = 0;
            for (size_t j = 0; j < N; j++) rank += s[j] > s[i] || (s[j] == s[i] && j < i);
            ck_assert_msg(rank >= K || index[rank] == i, "N=%zu K=%zu: place %zu has %zu, its rank says %zu", N, K,
                          rank, rank < K ? index[rank] : N, i);
            if (rank < K)
                SAME(value[rank], s[i], "value %zu", rank);
            else
                largest_left = fmax(largest_left, s[i]);
        }
        SAME(margin, K < N ? value[K - 1] - largest_left + 0 : INF, "margin, N=%zu K=%zu", N, K);
    }
}
END_TEST

/* --- error paths -------------------------------------------------------------------------------------------------- */

static const double bad[] = {INFINITY, -INFINITY, NAN};

/* The two-element array with the bad value at either place. */
static const double *spoilt(size_t i, size_t at)
{
    static double x[2];
    x[0] = x[1] = 1;
    x[at] = bad[i];
    return x;
}

#define REFUSED(call, status)                                                                                          \
    do {                                                                                                               \
        out[0] = out[1] = 77, scalar = 77, index[0] = index[1] = 77;                                                   \
        ck_assert_int_eq(call, status);                                                                                \
        ck_assert_msg(out[0] == 77 && out[1] == 77 && scalar == 77 && index[0] == 77 && index[1] == 77,                \
                      "%s wrote although it refused (N.8)", #call);                                                    \
    } while (0)

/* evidence properties: N.8 */
START_TEST(bad_values_are_refused)
{
    const double ok[] = {0.5, 0.5};
    double out[2], scalar;
    size_t index[2];
    for (size_t i = 0; i < 3; i++)
        for (size_t at = 0; at < 2; at++) {
            const double *x = spoilt(i, at);
            ck_assert(!smoe_all_finite(2, x));
            REFUSED(smoe_softmax(2, x, out), SMOE_EDOM);
            REFUSED(smoe_softmax_vjp(2, x, ok, out), SMOE_EDOM);
            REFUSED(smoe_softmax_vjp(2, ok, x, out), SMOE_EDOM);
            REFUSED(smoe_logsumexp(2, x, &scalar), SMOE_EDOM);
            REFUSED(smoe_logsumexp_vjp(2, x, 1, 1, out), SMOE_EDOM);
            REFUSED(smoe_logsumexp_vjp(2, ok, bad[i], 1, out), SMOE_EDOM);
            REFUSED(smoe_logsumexp_vjp(2, ok, 1, bad[i], out), SMOE_EDOM);
            REFUSED(smoe_norm(2, x, &scalar), SMOE_EDOM);
            REFUSED(smoe_norm_vjp(2, x, 1, 1, out), SMOE_EDOM);
            REFUSED(smoe_norm_vjp(2, ok, bad[i], 1, out), SMOE_EDOM);
            REFUSED(smoe_norm_vjp(2, ok, 1, bad[i], out), SMOE_EDOM);
            REFUSED(smoe_topk(2, 1, x, index, out, &scalar), SMOE_EDOM);
            REFUSED(smoe_topk_vjp(2, 2, (size_t[]){0, 1}, x, out), SMOE_EDOM);
        }
    REFUSED(smoe_norm_vjp(2, ok, -1, 1, out), SMOE_EDOM);
    REFUSED(smoe_topk_vjp(2, 2, (size_t[]){0, 2}, ok, out), SMOE_EDOM);
    REFUSED(smoe_topk_vjp(2, 2, (size_t[]){SIZE_MAX, 1}, ok, out), SMOE_EDOM);
    ck_assert(smoe_all_finite(2, (double[]){DBL_MAX, -DBL_MAX}) && smoe_all_finite(0, NULL));
}
END_TEST

/* Sizes are looked at first: a NaN beside them does not change the answer. */
/* evidence properties: N.8 */
START_TEST(senseless_sizes_are_refused)
{
    double out[2], scalar;
    size_t index[2];
    const double nan2[] = {NAN, NAN};
    REFUSED(smoe_softmax(0, nan2, out), SMOE_EINVAL);
    REFUSED(smoe_softmax_vjp(0, nan2, nan2, out), SMOE_EINVAL);
    REFUSED(smoe_logsumexp(0, nan2, &scalar), SMOE_EINVAL);
    REFUSED(smoe_logsumexp_vjp(0, nan2, 0, 0, out), SMOE_EINVAL);
    REFUSED(smoe_topk(2, 0, nan2, index, out, &scalar), SMOE_EINVAL);
    REFUSED(smoe_topk(1, 2, nan2, index, out, &scalar), SMOE_EINVAL);
    REFUSED(smoe_topk(0, 0, nan2, index, out, &scalar), SMOE_EINVAL);
    REFUSED(smoe_topk_vjp(2, 0, index, nan2, out), SMOE_EINVAL);
    REFUSED(smoe_topk_vjp(1, 2, index, nan2, out), SMOE_EINVAL);
}
END_TEST

/* evidence properties: N.8 */
START_TEST(overflow_is_reported)
{
    double out[2], norm;
    ck_assert_int_eq(smoe_norm(2, (double[]){DBL_MAX, DBL_MAX}, &norm), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_norm_vjp(1, (double[]){2}, 1, DBL_MAX, out), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_softmax_vjp(2, (double[]){0.75, 0.25}, (double[]){DBL_MAX, -DBL_MAX}, out), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_logsumexp_vjp(1, (double[]){0}, -10, DBL_MAX, out), SMOE_EOVRFLW);
    ck_assert_int_eq(smoe_topk_vjp(2, 2, (size_t[]){0, 0}, (double[]){DBL_MAX, DBL_MAX}, out), SMOE_EOVRFLW);
}
END_TEST

START_TEST(statuses_have_messages)
{
    static const smoe_status all[] = {SMOE_OK, SMOE_EDOM, SMOE_EINVAL, SMOE_EOVRFLW, SMOE_EENV};
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < i; j++) ck_assert_str_ne(smoe_strerror(all[i]), smoe_strerror(all[j]));
    ck_assert_ptr_nonnull(smoe_strerror((smoe_status)99));
}
END_TEST

/* --- the self-test ------------------------------------------------------------------------------------------------ */

/* evidence properties: N.1 N.2 */
START_TEST(selftest_passes)
{
    const char *what = NULL;
    ck_assert_msg(smoe_selftest(&what) == SMOE_OK, "%s", what);
    ck_assert_str_eq(what, "");
    ck_assert_int_eq(smoe_selftest(NULL), SMOE_OK);
}
END_TEST

/* Negative controls: each rounding mode but the right one and each way of flushing subnormals is refused and named. */
/* evidence properties: N.1 */
START_TEST(selftest_refuses_a_foreign_environment)
{
    static const int mode[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    const char *what;
    for (size_t i = 0; i < 3 && !light(); i++) { /* Valgrind rounds to nearest whatever is asked */
        fesetround(mode[i]);
        const smoe_status status = smoe_selftest(&what);
        fesetround(FE_TONEAREST);
        ck_assert_int_eq(status, SMOE_EENV);
        ck_assert_msg(strstr(what, "rounding mode"), "the message is about something else: %s", what);
    }
#ifdef __x86_64__
    static const unsigned flush[] = {0x8000, 0x0040}; /* FTZ, DAZ */
    static const char *const word[] = {"results", "operands"};
    for (size_t i = 0; i < 2 && !light(); i++) { /* Valgrind ignores both */
        const unsigned saved = _mm_getcsr();
        _mm_setcsr(saved | flush[i]);
        const smoe_status status = smoe_selftest(&what);
        _mm_setcsr(saved);
        ck_assert_int_eq(status, SMOE_EENV);
        ck_assert_msg(strstr(what, "subnormal") && strstr(what, word[i]), "the message is about something else: %s",
                      what);
    }
#endif
    ck_assert_int_eq(smoe_selftest(NULL), SMOE_OK);
}
END_TEST

/* A long double of 53 bits is of no use, and of no harm: nothing relies on it then. */
/* evidence properties: N.1 */
START_TEST(selftest_needs_no_long_double)
{
#ifdef __x86_64__
    fpu_control_t saved, narrow;
    _FPU_GETCW(saved);
    narrow = (fpu_control_t)((saved & ~_FPU_EXTENDED) | _FPU_DOUBLE);
    _FPU_SETCW(narrow);
    const smoe_status status = smoe_selftest(NULL);
    _FPU_SETCW(saved);
    ck_assert_int_eq(status, SMOE_OK);
#endif
}
END_TEST

/* The last number of a gradient is beyond the format, and no other number is. */
START_TEST(overflow_of_the_last_number)
{
    enum { N = 3 };
    double *out = zeros();
    /* mean = 0.95 2^1023: dz_0 = 0.475 2^1023, dz_1 = -2.85 2^1023 */
    LONE_OVERFLOW(smoe_softmax_vjp(2, (double[]){0.5, 3}, (double[]){0x1.e666666666666p1023, 0}, out));
    ck_assert(isfinite(out[0]) && isinf(out[1]));
    LONE_OVERFLOW(smoe_logsumexp_vjp(N, lone(N, 700), 0, 0x1p100, out));
    LONE_OVERFLOW(smoe_norm_vjp(N, lone(N, LONE_BIG), 1, LONE_BIG, out));
    LONE_OVERFLOW(smoe_topk_vjp(N, 2, (size_t[]){N - 1, N - 1}, (double[]){LONE_TOP, LONE_TOP}, out));
    LONE_OVERFLOW(smoe_topk_vjp(N, 2, (size_t[]){0, 0}, (double[]){LONE_TOP, LONE_TOP}, out));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("numerics");
    TCase *products = tcase_create("products"), *functions = tcase_create("functions"),
          *vectors = tcase_create("vectors"), *refusals = tcase_create("refusals");
    tcase_set_timeout(functions, 120);
    tcase_set_timeout(products, 60);

    tcase_add_test(products, sum_by_hand);
    tcase_add_test(products, products_by_hand);
    tcase_add_test(products, matrices_by_hand);
    tcase_add_test(products, kernels_give_the_bits_of_the_triple_loop);
    tcase_add_test(products, another_order_has_other_bits);
    tcase_add_test(products, other_steps_have_the_bits_of_their_chains);
    tcase_add_test(products, any_strides_have_the_bits_of_the_chains);
    tcase_add_test(products, kernels_have_names);
    tcase_add_test(products, products_are_adjoint);
    tcase_add_test(products, sums_and_products_obey_their_laws);

    tcase_add_test(functions, elementary_functions_by_hand);
    tcase_add_test(functions, hard_cases_are_rounded_correctly);
    tcase_add_loop_test(functions, random_arguments_are_rounded_correctly, 0, ELEMENTARIES);
    tcase_add_loop_test(functions, exponentials_of_many_are_those_of_one, 0, 2);
    tcase_add_test(functions, a_bent_function_is_found);
    tcase_add_test(functions, odd_functions_are_odd_and_all_are_monotonic);
    tcase_add_test(functions, mpfr_state_is_the_callers);
    tcase_add_test(functions, few_numbers_are_left_to_mpfr);
    tcase_add_test(functions, x87_settings_do_not_matter);
    tcase_add_loop_test(functions, values_are_accurate, 0, SMOOTHS);
    tcase_add_loop_test(functions, derivatives_are_the_slopes_of_the_definitions, 0, SMOOTHS);
    tcase_add_loop_test(functions, derivatives_belong_to_the_functions, 0, SMOOTHS);
    tcase_add_test(functions, logistic_functions_by_hand);
    tcase_add_test(functions, normal_functions_by_hand);
    tcase_add_test(functions, symmetries);
    tcase_add_test(functions, extreme_arguments);

    tcase_add_test(vectors, softmax_by_hand);
    tcase_add_test(vectors, softmax_properties);
    tcase_add_test(vectors, softmax_of_huge_logits);
    tcase_add_loop_test(vectors, vector_gradients, 0, 4);
    tcase_add_test(vectors, a_wrong_gradient_is_found);
    tcase_add_test(vectors, norm_by_hand);
    tcase_add_test(vectors, norm_properties);
    tcase_add_test(vectors, topk_by_hand);
    tcase_add_test(vectors, topk_properties);

    tcase_add_test(refusals, bad_values_are_refused);
    tcase_add_test(refusals, senseless_sizes_are_refused);
    tcase_add_test(refusals, overflow_is_reported);
    tcase_add_test(refusals, overflow_of_the_last_number);
    tcase_add_test(refusals, statuses_have_messages);
    tcase_add_test(refusals, selftest_passes);
    tcase_add_test(refusals, selftest_refuses_a_foreign_environment);
    tcase_add_test(refusals, selftest_needs_no_long_double);

    suite_add_tcase(suite, products);
    suite_add_tcase(suite, functions);
    suite_add_tcase(suite, vectors);
    suite_add_tcase(suite, refusals);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
