/* Chapter L: measures of a routing: load, representation collapse, fluctuation, change (spec/03-layer.md). */
#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "balance.h"
#include "layer.h"

/* A number in (-1, 1), from the test's own generator (SplitMix64, public domain). */
static double draw(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return ((double)(z >> 12) + 0.5) * 0x1p-51 - 1.0;
}

static void fill(uint64_t *state, double scale, size_t n, double *x)
{
    for (size_t k = 0; k < n; k++) x[k] = scale * draw(state);
}

static size_t draw_below(uint64_t *seed, size_t n) { return (size_t)((draw(seed) + 1) / 2 * (double)n); }

static double violation_of(size_t A, size_t N, const size_t *count)
{
    double v = NAN;
    ck_assert_int_eq(smoe_max_violation(A, N, count, &v), SMOE_OK);
    return v;
}

/* --- L.8 --- */

/* evidence hand: L.8 */
START_TEST(violation_by_hand)
{
    const size_t four[] = {3, 2, 1, 0}, half[] = {8, 8, 8, 8, 0, 0, 0, 0}, firsts[] = {8, 0, 0, 0, 0, 0, 0, 0};
    const size_t even[] = {5, 5, 5};
    ck_assert(violation_of(6, 4, four) == 1); /* mean 3/2 */
    ck_assert(violation_of(32, 8, half) == 1); /* N/K - 1 */
    ck_assert(violation_of(8, 8, firsts) == 7); /* N - 1 */
    ck_assert(violation_of(15, 3, even) == 0);
    ck_assert_uint_eq(smoe_largest_load(4, four), 3);
    ck_assert_uint_eq(smoe_largest_load(1, four + 3), 0);
}
END_TEST

/* Every routing: between 0 and N/K - 1, 0 only at balance, the same for experts renamed. */
/* evidence properties: L.8 */
START_TEST(violation_has_its_range)
{
    uint64_t seed = 1;
    for (size_t N = 1; N <= 6; N++)
        for (size_t K = 1; K <= N; K++)
            for (size_t T = 1; T <= 12; T++) {
                double r[72], value[6], margin, v, share[6], sum = 0;
                size_t index[72], count[6], turned[6], even = 0;
                fill(&seed, 1, T * N, r);
                for (size_t t = 0; t < T; t++)
                    ck_assert_int_eq(smoe_topk(N, K, r + t * N, index + t * K, value, &margin), SMOE_OK);
                ck_assert_int_eq(smoe_expert_load(T * K, N, index, count), SMOE_OK);
                ck_assert_int_eq(smoe_load_fraction(T * K, N, count, share), SMOE_OK);
                v = violation_of(T * K, N, count);
                for (size_t i = 0; i < N; i++) {
                    turned[i] = count[(i + 1) % N];
                    even += count[i] * N == T * K;
                    sum += share[i];
                }
                ck_assert_msg(v >= 0 && v <= (double)N / (double)K - 1 + 0x1p-50, "N %zu K %zu T %zu: %a", N, K, T, v);
                ck_assert_msg((v == 0) == (even == N), "N %zu K %zu T %zu: violation %a, %zu even", N, K, T, v, even);
                ck_assert_msg(violation_of(T * K, N, turned) == v, "the experts' names matter");
                ck_assert_msg(fabs(sum - 1) < 1e-15, "shares add up to %a", sum);
            }
}
END_TEST

START_TEST(violation_errors)
{
    const size_t count[] = {3, 4};
    double v = 4711;
    ck_assert_int_eq(smoe_max_violation(0, 2, count, &v), SMOE_EINVAL);
    ck_assert_int_eq(smoe_max_violation(7, 0, count, &v), SMOE_EINVAL);
    ck_assert_int_eq(smoe_max_violation(3, 2, count, &v), SMOE_EDOM);
    ck_assert_msg(v == 4711, "refused, but something was written");
}
END_TEST

/* --- L.9 --- */

enum { MOST = 1024 };

static smoe_status collapse(size_t T, size_t d, size_t N, const double *x, const size_t *index, double *rc)
{
    static double work[MOST];
    static size_t count[64];
    ck_assert(smoe_collapse_work(d, N) <= MOST && 2 * N <= 64);
    *rc = 4711;
    return smoe_collapse(T, d, N, x, index, rc, work, count);
}

/* Spec L.9: a quotient of variances, and the four corners with Sb = I. */
/* evidence hand: L.9 */
START_TEST(collapse_by_hand)
{
    static const double corner[4][3] = {{1, 1, 1}, {1, -1, -1}, {-1, 1, -1}, {-1, -1, 1}};
    const double line[] = {0, 2, 4, 6};
    const size_t pair[] = {0, 0, 1, 1};
    double rc, x[24];
    size_t index[8];
    ck_assert_int_eq(collapse(4, 1, 2, line, pair, &rc), SMOE_OK);
    ck_assert_msg(fabs(rc - 0.25) <= 0x1p-52, "RC is %a, by hand 1/4", rc);
    for (size_t t = 0; t < 8; t++) {
        index[t] = t / 2;
        memcpy(x + 3 * t, corner[t / 2], sizeof corner[0]);
        x[3 * t] += (t % 2 ? -1 : 1) * (t < 2 ? 2 : 1);
    }
    ck_assert_int_eq(collapse(8, 3, 4, x, index, &rc), SMOE_OK);
    ck_assert_msg(rc == 1.75, "RC is %a, by hand 7/4", rc);
}
END_TEST

typedef struct {
    size_t T, d, N, index[40];
    double x[40 * 6];
} states;

/* N clouds; expert `idle` has no token. */
static states draw_states(size_t T, size_t d, size_t N, size_t idle, uint64_t seed)
{
    states s = {.T = T, .d = d, .N = N};
    double mean[8 * 6];
    fill(&seed, 2, N * d, mean);
    fill(&seed, 1, T * d, s.x);
    for (size_t t = 0; t < T; t++) {
        s.index[t] = t < N ? t : draw_below(&seed, N);
        if (s.index[t] == idle) s.index[t] = (idle + 1) % N;
        for (size_t k = 0; k < d; k++) s.x[t * d + k] += mean[s.index[t] * d + k];
    }
    return s;
}

/* The covariances in extended precision, from the definition. */
static void covariances(const states *s, long double *within, long double *between)
{
    const size_t T = s->T, d = s->d;
    long double mean[6] = {0}, means[8][6] = {{0}}, n[8] = {0};
    for (size_t t = 0; t < T; t++) {
        n[s->index[t]]++;
        for (size_t k = 0; k < d; k++) {
            mean[k] += (long double)s->x[t * d + k] / (long double)T;
            means[s->index[t]][k] += s->x[t * d + k];
        }
    }
    for (size_t k = 0; k < d * d; k++) within[k] = between[k] = 0;
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < d; i++)
            for (size_t j = 0; j < d; j++) {
                const size_t e = s->index[t];
                const long double a = means[e][i] / n[e], b = means[e][j] / n[e];
                within[i * d + j] += (s->x[t * d + i] - a) * (s->x[t * d + j] - b) / (long double)T;
                between[i * d + j] += (a - mean[i]) * (b - mean[j]) / (long double)T;
            }
}

/* Cyclic Jacobi: a becomes diagonal, v holds the eigenvectors in its columns. */
static void jacobi(size_t d, long double *a, long double *v)
{
    for (size_t k = 0; k < d * d; k++) v[k] = k / d == k % d;
    for (int sweep = 0; sweep < 40; sweep++)
        for (size_t p = 0; p < d; p++)
            for (size_t q = p + 1; q < d; q++) {
                if (fabsl(a[p * d + q]) < 1e-300L) continue;
                const long double theta = (a[q * d + q] - a[p * d + p]) / (2 * a[p * d + q]);
                const long double t = (theta < 0 ? -1 : 1) / (fabsl(theta) + sqrtl(theta * theta + 1));
                const long double c = 1 / sqrtl(t * t + 1), z = t * c;
                for (size_t k = 0; k < d; k++) {
                    const long double x = a[k * d + p], y = a[k * d + q];
                    a[k * d + p] = c * x - z * y, a[k * d + q] = z * x + c * y;
                }
                for (size_t k = 0; k < d; k++) {
                    const long double x = a[p * d + k], y = a[q * d + k], e = v[k * d + p], f = v[k * d + q];
                    a[p * d + k] = c * x - z * y, a[q * d + k] = z * x + c * y;
                    v[k * d + p] = c * e - z * f, v[k * d + q] = z * e + c * f;
                }
            }
}

/* Tr(Sw Sb^+) by the eigenvectors of Sb, the `rank` largest eigenvalues taken for not 0. */
static long double by_eigenvectors(const states *s, size_t rank)
{
    long double within[36], between[36], v[36], rc = 0;
    const size_t d = s->d;
    covariances(s, within, between);
    jacobi(d, between, v);
    for (size_t done = 0; done < rank; done++) {
        size_t best = 0;
        for (size_t k = 0; k < d; k++)
            if (between[k * d + k] > between[best * d + best]) best = k;
        for (size_t i = 0; i < d; i++)
            for (size_t j = 0; j < d; j++)
                rc += v[i * d + best] * within[i * d + j] * v[j * d + best] / between[best * d + best];
        between[best * d + best] = -1;
    }
    return rc;
}

/* evidence properties: L.9 */
START_TEST(collapse_is_its_definition)
{
    for (uint64_t seed = 1; seed <= 12; seed++)
        for (size_t N = 2; N <= 5; N++)
            for (size_t d = N - 1; d <= 6; d++) {
                const size_t idle = N > 2 && seed % 2 ? seed % N : 99;
                const states s = draw_states(24, d, N, idle, 100 * seed + 10 * N + d);
                double rc;
                ck_assert_int_eq(collapse(s.T, d, N, s.x, s.index, &rc), SMOE_OK);
                const double want = (double)by_eigenvectors(&s, idle < N ? N - 2 : N - 1);
                ck_assert_msg(fabs(rc - want) <= 1e-9 * want, "N %zu, d %zu, seed %d: %.17g, by eigenvectors %.17g", N,
                              d, (int)seed, rc, want);
            }
}
END_TEST

/* Factors that are powers of two, mirrored axes and experts without tokens change no bit; a shift hardly anything. */
/* evidence properties: L.9 */
START_TEST(collapse_is_invariant)
{
    states s = draw_states(30, 4, 4, 99, 77);
    double rc, same;
    ck_assert_int_eq(collapse(s.T, s.d, s.N, s.x, s.index, &rc), SMOE_OK);
    ck_assert_int_eq(collapse(s.T, s.d, s.N + 3, s.x, s.index, &same), SMOE_OK);
    ck_assert_msg(same == rc, "idle experts: %a and %a", same, rc);
    for (size_t k = 0; k < s.T * s.d; k++) s.x[k] *= k % s.d == 1 ? -0x1p-300 : 0x1p-300;
    ck_assert_int_eq(collapse(s.T, s.d, s.N, s.x, s.index, &same), SMOE_OK);
    ck_assert_msg(same == rc, "2^-300: %a and %a", same, rc);
    for (size_t k = 0; k < s.T * s.d; k++) s.x[k] = s.x[k] * 0x1p300 + 100;
    ck_assert_int_eq(collapse(s.T, s.d, s.N, s.x, s.index, &same), SMOE_OK);
    ck_assert_msg(fabs(same - rc) <= 1e-11 * rc, "shifted by 100: %a and %a", same, rc);
    for (size_t t = 0; t < s.T; t++) memcpy(s.x + t * s.d, s.x + s.index[t] * s.d, sizeof(double[4]));
    ck_assert_int_eq(collapse(s.T, s.d, s.N, s.x, s.index, &same), SMOE_OK);
    ck_assert_msg(same >= 0 && same < 1e-24, "no scatter inside the experts, but RC is %a", same);
}
END_TEST

START_TEST(collapse_errors)
{
    double x[] = {0, 0, 1, 0, 0, 1, 1, 1}, rc;
    size_t two[] = {0, 0, 1, 1}, three[] = {0, 1, 2, 2}, one[] = {1, 1, 1, 1}, out[] = {0, 1, 0, 2};
    ck_assert_int_eq(collapse(0, 2, 2, x, two, &rc), SMOE_EINVAL);
    ck_assert_int_eq(collapse(4, 0, 2, x, two, &rc), SMOE_EINVAL);
    ck_assert_int_eq(collapse(4, 2, 0, x, two, &rc), SMOE_EINVAL);
    ck_assert_int_eq(collapse(4, 2, 2, x, out, &rc), SMOE_EDOM); /* index 2 of 2 */
    ck_assert_int_eq(collapse(4, 2, 2, x, one, &rc), SMOE_EDOM); /* nothing between */
    ck_assert_int_eq(collapse(4, 2, 3, x, three, &rc), SMOE_OK);
    ck_assert_int_eq(collapse(4, 1, 3, x, three, &rc), SMOE_EDOM); /* three means on a line */
    const double coincident[] = {0, 0, 2, 2, 2, 0, 0, 2};
    ck_assert_int_eq(collapse(4, 2, 2, coincident, two, &rc), SMOE_EDOM);
    const double collinear[] = {0, 0, 1, 0.1, 2, 0.2, 2, 0.2}; /* up to rounding */
    ck_assert_int_eq(collapse(4, 2, 3, collinear, three, &rc), SMOE_EDOM);
    double large[8];
    for (size_t k = 0; k < 8; k++) large[k] = 0x1p100 * collinear[k];
    ck_assert_int_eq(collapse(4, 2, 3, large, three, &rc), SMOE_EDOM); /* rounding grows with the means */
    for (size_t k = 0; k < 8; k++) {
        const double right = x[k];
        x[k] = k % 2 ? NAN : INFINITY;
        ck_assert_int_eq(collapse(4, 2, 2, x, two, &rc), SMOE_EDOM);
        x[k] = right;
    }
    ck_assert_msg(rc == 4711, "refused, but something was written");
    for (size_t k = 0; k < 8; k++) x[k] *= 0x1p600;
    ck_assert_int_eq(collapse(4, 2, 2, x, two, &rc), SMOE_EOVRFLW); /* G */
    /* Means 0 and 1/3, tokens 2^520 away from them along the same axis: RC is about 2^1040. */
    const double apart[] = {0x1p520, -0x1p520, 0, 0x1p520, -0x1p520, 1};
    const size_t halves[] = {0, 0, 0, 1, 1, 1};
    ck_assert_int_eq(collapse(6, 1, 2, apart, halves, &rc), SMOE_EOVRFLW);
}
END_TEST

START_TEST(nonempty_by_hand)
{
    const size_t count[] = {0, 3, 0, 0, 1, 2};
    size_t row[6];
    ck_assert_uint_eq(smoe_nonempty(6, count, row), 3);
    ck_assert(row[1] == 0 && row[4] == 1 && row[5] == 2);
    ck_assert_uint_eq(smoe_nonempty(0, count, row), 0);
}
END_TEST

/* --- L.10 --- */

/* evidence hand: L.10 */
START_TEST(fluctuation_by_hand)
{
    const size_t a[] = {0, 1, 2, 1}, b[] = {0, 2, 2, 0};
    double rate = NAN;
    ck_assert_int_eq(smoe_fluctuation(4, a, b, &rate), SMOE_OK);
    ck_assert_msg(rate == 0.5, "rate is %a, by hand 1/2", rate);
    ck_assert_uint_eq(smoe_count_changes(4, a, b), 2);
    ck_assert_uint_eq(smoe_count_changes(0, a, b), 0);
    rate = 4711;
    ck_assert_int_eq(smoe_fluctuation(0, a, b, &rate), SMOE_EINVAL);
    ck_assert_msg(rate == 4711, "refused, but something was written");
}
END_TEST

static double fluctuation(size_t T, const size_t *a, const size_t *b)
{
    double rate = NAN;
    ck_assert_int_eq(smoe_fluctuation(T, a, b, &rate), SMOE_OK);
    return rate;
}

/* A distance: symmetric, 0 for equal routings alone, and no way round is shorter. */
/* evidence properties: L.10 */
START_TEST(fluctuation_is_a_distance)
{
    uint64_t seed = 5;
    for (int i = 0; i < 200; i++) {
        size_t a[3][8], T = 1 + draw_below(&seed, 8);
        for (size_t k = 0; k < 24; k++) a[k / 8][k % 8] = draw_below(&seed, 2);
        const double ab = fluctuation(T, a[0], a[1]), bc = fluctuation(T, a[1], a[2]), ac = fluctuation(T, a[0], a[2]);
        ck_assert(ab == fluctuation(T, a[1], a[0]));
        ck_assert((ab == 0) == (memcmp(a[0], a[1], T * sizeof(size_t)) == 0));
        ck_assert_msg(ac <= ab + bc + 1e-15, "%a from a to c, %a + %a by b", ac, ab, bc);
        ck_assert(ab <= 1);
    }
}
END_TEST

/* --- L.11 --- */

static double change(bool jaccard, size_t T, size_t K, const size_t *a, const size_t *b)
{
    double rate = NAN;
    ck_assert_int_eq(jaccard ? smoe_change_jaccard(T, K, a, b, &rate) : smoe_change_sets(T, K, a, b, &rate), SMOE_OK);
    return rate;
}

/* evidence hand: L.11 */
START_TEST(change_by_hand)
{
    const size_t a[] = {0, 1, 0, 1, 2, 3, 0, 2}, b[] = {1, 0, 1, 2, 0, 1, 2, 0};
    ck_assert_uint_eq(smoe_common(2, a, b), 2);
    ck_assert_uint_eq(smoe_common(2, a + 2, b + 2), 1);
    ck_assert_uint_eq(smoe_common(2, a + 4, b + 4), 0);
    const double set = change(false, 4, 2, a, b), jaccard = change(true, 4, 2, a, b);
    ck_assert_msg(set == 0.5, "share of sets %a, by hand 1/2", set);
    ck_assert_msg(fabs(jaccard - 5.0 / 12) <= 0x1p-53, "Jaccard %a, by hand 5/12", jaccard);
}
END_TEST

/* The order inside a row means nothing; K = 1 is L.10; both are distances, Jaccard's at most the share of sets. */
/* evidence properties: L.11 */
START_TEST(change_is_a_distance_of_sets)
{
    uint64_t seed = 9;
    for (int i = 0; i < 300; i++) {
        size_t s[4][12], T = 1 + draw_below(&seed, 4), K = 1 + draw_below(&seed, 3);
        for (size_t row = 0; row < 3; row++)
            for (size_t t = 0; t < T; t++)
                for (size_t j = 0; j < K; j++) {
                    do s[row][t * K + j] = draw_below(&seed, 4);
                    while (!smoe_distinct(j + 1, s[row] + t * K));
                }
        for (size_t t = 0; t < T; t++)
            for (size_t j = 0; j < K; j++) s[3][t * K + j] = s[1][t * K + K - 1 - j];
        for (int jaccard = 0; jaccard < 2; jaccard++) {
            const double ab = change(jaccard, T, K, s[0], s[1]);
            ck_assert(ab == change(jaccard, T, K, s[1], s[0]));
            ck_assert(ab == change(jaccard, T, K, s[0], s[3]));
            ck_assert(change(jaccard, T, K, s[1], s[3]) == 0);
            ck_assert(change(jaccard, T, K, s[0], s[2]) <= ab + change(jaccard, T, K, s[1], s[2]) + 1e-15);
            ck_assert(ab >= 0 && ab <= 1);
            if (K == 1) ck_assert(ab == fluctuation(T, s[0], s[1]));
        }
        ck_assert(change(true, T, K, s[0], s[1]) <= change(false, T, K, s[0], s[1]) + 1e-15);
    }
}
END_TEST

START_TEST(change_errors)
{
    const size_t fine[] = {0, 1, 2, 3}, twice[] = {0, 1, 3, 3};
    double rate = 4711;
    ck_assert_int_eq(smoe_change_sets(0, 2, fine, fine, &rate), SMOE_EINVAL);
    ck_assert_int_eq(smoe_change_sets(2, 0, fine, fine, &rate), SMOE_EINVAL);
    ck_assert_int_eq(smoe_change_jaccard(0, 2, fine, fine, &rate), SMOE_EINVAL);
    ck_assert_int_eq(smoe_change_jaccard(2, 0, fine, fine, &rate), SMOE_EINVAL);
    ck_assert_int_eq(smoe_change_sets(2, 2, twice, fine, &rate), SMOE_EDOM);
    ck_assert_int_eq(smoe_change_sets(2, 2, fine, twice, &rate), SMOE_EDOM);
    ck_assert_int_eq(smoe_change_jaccard(2, 2, twice, fine, &rate), SMOE_EDOM);
    ck_assert_int_eq(smoe_change_jaccard(2, 2, fine, twice, &rate), SMOE_EDOM);
    ck_assert_msg(rate == 4711, "refused, but something was written");
    ck_assert(smoe_distinct(0, fine) && smoe_distinct(4, fine) && !smoe_distinct(4, twice) && smoe_distinct(3, twice));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("diagnostics");
    TCase *t = tcase_create("L.8 to L.11");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, violation_by_hand);
    tcase_add_test(t, violation_has_its_range);
    tcase_add_test(t, violation_errors);
    tcase_add_test(t, collapse_by_hand);
    tcase_add_test(t, collapse_is_its_definition);
    tcase_add_test(t, collapse_is_invariant);
    tcase_add_test(t, collapse_errors);
    tcase_add_test(t, nonempty_by_hand);
    tcase_add_test(t, fluctuation_by_hand);
    tcase_add_test(t, fluctuation_is_a_distance);
    tcase_add_test(t, change_by_hand);
    tcase_add_test(t, change_is_a_distance_of_sets);
    tcase_add_test(t, change_errors);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
