/* Verdicts (verify/oracle/verdict.h) and reports on hand-made cases: what must pass, and mostly what must not.
 *
 * Golden values and bounds of the first part are written down here, so no verdict rests on the twin; the second part
 * replays and diagnoses with the real twin on cases small enough to work out by hand. */
#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "diagnose_parts.h"
#include "own_process.h"
#include "report_parts.h"
#include "shrink.h"
#include "verdict_parts.h"

enum { ERROR = 512 };
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { SANITIZED = 1 };
#elif defined __has_feature
enum {
    SANITIZED = __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
};
#else
enum { SANITIZED = 0 };
#endif

/* --- an operation of this test's own ------------------------------------------------------------------------- */

static const op_tensor toy_in[] = {{"r", "T,N", OP_INPUT, OP_DIFF, "logits"}, {NULL, NULL, 0, 0, NULL}};
static const op_tensor toy_out[] = {{"weight", "T,K", OP_BOUNDED, OP_DIFF, "weights"},
                                    {"index", "T,K", OP_DECISION, OP_I64, "chosen"},
                                    {"load", "N", OP_EXACT, OP_I64, "counts"},
                                    {"half", "N", OP_EXACT, 0, "halves"},
                                    {"s", "T,N", OP_STAGE, 0, "scores"},
                                    {"margin", "T", OP_STAGE, OP_MARGIN, "distance"},
                                    {NULL, NULL, 0, 0, NULL}};
static const op_param toy_param[] = {{"k", OP_INT, "2", "chosen"}, {NULL, OP_INT, NULL, NULL}};
static const op_spec no_cases[] = {{NULL, NULL, NULL, NULL, NULL, NULL, NULL}};
static const op_record toy = {.id = "toy.gate",
                              .title = "Toy",
                              .equations = "G.1",
                              .formula = "-",
                              .source = "here",
                              .code = "-",
                              .in = toy_in,
                              .out = toy_out,
                              .param = toy_param,
                              .cases = no_cases};

enum { WEIGHT, INDEX, LOAD, HALF, S, MARGIN };

static op_case *c;
static verdict_golden g;
static tensor_file answer;
static verdict_case v;
static const twin_profile *profile;
static char err[ERROR];

static double *doubles(size_t n, const double *x)
{
    double *p = calloc(n ? n : 1, sizeof *p);
    ck_assert_ptr_nonnull(p);
    if (n > 0) memcpy(p, x, n * sizeof *p);
    return p;
}

static int64_t *integers(size_t n, const int64_t *x)
{
    int64_t *p = calloc(n ? n : 1, sizeof *p);
    ck_assert_ptr_nonnull(p);
    memcpy(p, x, n * sizeof *p);
    return p;
}

static golden_tensor floats(size_t n, const double *value, double bound)
{
    golden_tensor t = {n, doubles(n, value), doubles(n, value), NULL};
    for (size_t i = 0; i < n; i++) t.bound[i] = bound;
    return t;
}

static golden_tensor whole(size_t n, const int64_t *index)
{
    return (golden_tensor){n, NULL, NULL, integers(n, index)};
}

/* Two tokens, four experts, two chosen.  Bounds are powers of two, so that "at the bound" is a number. */
static const double the_weight[4] = {0.75, 0.25, 0.5, 0.5};
static const int64_t the_index[4] = {2, 0, 1, 3};
static const int64_t the_load[4] = {1, 1, 1, 1};
static const double the_half[4] = {0.5, 0.5, 0.5, 0};
static const double the_score[8] = {2, 0, 3, 1, -1, 4, 0, 2};
static const double the_margin[2] = {1, INFINITY};
static const double the_gradient[8] = {1, 2, 3, 4, 5, 6, 7, 8};

static void make_toy(void)
{
    profile = twin_profile_find("f64");
    c = op_case_new(&toy, "T=2,N=4", "", err, sizeof err);
    ck_assert_msg(c != NULL, "%s", err);
    memcpy(c->in[0].f64, the_score, sizeof the_score);
    memset(&g, 0, sizeof g);
    memset(&v, 0, sizeof v);
    memset(&answer, 0, sizeof answer);
    g.out[WEIGHT] = floats(4, the_weight, 0x1p-10);
    g.out[INDEX] = whole(4, the_index);
    g.out[LOAD] = whole(4, the_load);
    g.out[HALF] = floats(4, the_half, 0);
    g.out[S] = floats(8, the_score, 0x1p-8);
    g.out[MARGIN] = floats(2, the_margin, INFINITY);
    g.grad[0] = floats(8, the_gradient, 0x1p-10);
    g.score[INDEX] = floats(8, the_score, 0x1p-8);
}

static void free_toy(void)
{
    verdict_case_clear(&v);
    verdict_golden_clear(&g);
    tensor_file_clear(&answer);
    op_case_free(c);
}

/* Another case in place of the present one. */
static void take(const op_record *op, const char *dims, const char *set)
{
    op_case_free(c);
    verdict_golden_clear(&g);
    c = op_case_new(op, dims, set, err, sizeof err);
    ck_assert_msg(c != NULL, "%s", err);
}

static void add_doubles(const char *name, const op_value *shape, const double *x)
{
    ck_assert_int_eq(tensor_file_add(&answer, name, TENSOR_F64, shape->rank, shape->dim, x), 0);
}

static void add_integers(const char *name, const op_value *shape, const int64_t *x)
{
    ck_assert_int_eq(tensor_file_add(&answer, name, TENSOR_I64, shape->rank, shape->dim, x), 0);
}

/* The right answer without the tensors named in `without` (separated by blanks). */
static void answer_without(const char *without)
{
    if (!strstr(without, "weight")) add_doubles("weight", &c->out[WEIGHT], the_weight);
    if (!strstr(without, "index")) add_integers("index", &c->out[INDEX], the_index);
    if (!strstr(without, "load")) add_integers("load", &c->out[LOAD], the_load);
    if (!strstr(without, "half")) add_doubles("half", &c->out[HALF], the_half);
    if (!strstr(without, "d_r")) add_doubles("d_r", &c->grad[0], the_gradient);
}

static void judge(void)
{
    ck_assert_msg(verdict_judge(c, "case", &g, &answer, profile, &v, err, sizeof err) == 0, "%s", err);
}

static const verdict_tensor *find(const char *name)
{
    for (size_t i = 0; i < v.tensors; i++)
        if (strcmp(v.t[i].name, name) == 0) return &v.t[i];
    ck_abort_msg("the verdict has no tensor %s", name);
    return NULL;
}

static bool says(const char *what)
{
    for (size_t i = 0; i < v.details; i++)
        if (strstr(v.detail[i], what)) return true;
    return false;
}

/* Judges the right answer with one element of `weight` replaced. */
static const verdict_tensor *with_weight(double x)
{
    double w[4];
    memcpy(w, the_weight, sizeof w);
    w[2] = x;
    verdict_case_clear(&v);
    tensor_file_clear(&answer);
    answer_without("weight");
    add_doubles("weight", &c->out[WEIGHT], w);
    judge();
    ck_assert_msg(v.pass == find("weight")->pass, "the case passes iff its one doubtful tensor does");
    return find("weight");
}

/* --- single elements ----------------------------------------------------------------------------------------- */

START_TEST(the_right_answer_passes)
{
    answer_without("");
    judge();
    ck_assert_msg(v.pass, "the golden values themselves must pass");
    ck_assert_uint_eq(v.tokens, 2);
    ck_assert_uint_eq(v.differ, 0);
    ck_assert_uint_eq(v.details, 0);
    ck_assert_double_eq(find("weight")->ratio, 0);
    ck_assert_uint_eq(find("weight")->at, 0);
    /* weight, index: 2 * 2; load, half: 4; s, d_r: 2 * 4; margin: 2 */
    ck_assert_uint_eq(verdict_elements(&v), 4 + 4 + 4 + 4 + 8 + 8 + 2);
    ck_assert_str_eq(v.t[v.worst].name, "weight"); /* the first that has a ratio to show: a choice has none */
    ck_assert(find("index")->pass && find("index")->at == find("index")->count);
}
END_TEST

START_TEST(nan_fails)
{
    ck_assert_msg(!with_weight(NAN)->pass, "NaN is within no bound");
    ck_assert_msg(isnan(find("weight")->ratio), "its ratio is NaN, not some number that a comparison lets through");
    ck_assert_uint_eq(find("weight")->at, 2);
    for (size_t i = 0; i < 4; i++) g.out[WEIGHT].bound[i] = INFINITY;
    ck_assert_msg(!with_weight(NAN)->pass, "NaN fails where the bound is infinite too");
    ck_assert_msg(!with_weight(-NAN)->pass, "of either sign");
}
END_TEST

START_TEST(the_first_nan_is_shown)
{
    double w[4] = {1e300, NAN, 2, NAN};
    answer_without("weight");
    add_doubles("weight", &c->out[WEIGHT], w);
    judge();
    ck_assert_uint_eq(find("weight")->at, 1);
    ck_assert_uint_eq(find("weight")->outside, 4);
}
END_TEST

START_TEST(infinity_fails_unless_golden)
{
    ck_assert_msg(!with_weight(INFINITY)->pass, "an infinity where golden is finite");
    ck_assert_msg(!with_weight(-INFINITY)->pass, "of either sign");
    g.out[WEIGHT].value[2] = INFINITY;
    ck_assert_msg(with_weight(INFINITY)->pass, "equal infinities agree");
    ck_assert_msg(!with_weight(-INFINITY)->pass, "opposite infinities do not");
    ck_assert_msg(!with_weight(1e308)->pass, "a finite number is infinitely far from an infinity");
}
END_TEST

START_TEST(at_the_bound_passes_and_an_ulp_beyond_fails)
{
    const double top = 0.5 + 0x1p-10, bottom = 0.5 - 0x1p-10;
    ck_assert_msg(with_weight(top)->pass, "golden + bound passes");
    ck_assert_double_eq(find("weight")->ratio, 1);
    ck_assert_msg(with_weight(bottom)->pass, "golden - bound passes");
    ck_assert_msg(!with_weight(nextafter(top, 1))->pass, "one ulp above golden + bound fails");
    ck_assert_double_gt(find("weight")->ratio, 1);
    ck_assert_msg(!with_weight(nextafter(bottom, 0))->pass, "one ulp below golden - bound fails");
}
END_TEST

START_TEST(a_zero_bound_means_equal)
{
    for (size_t i = 0; i < 4; i++) g.out[WEIGHT].bound[i] = 0;
    ck_assert_msg(with_weight(0.5)->pass, "0/0 passes where the values are equal");
    ck_assert_double_eq(find("weight")->ratio, 0);
    ck_assert_msg(!with_weight(nextafter(0.5, 1))->pass, "anything else is infinitely many bounds away");
    ck_assert_msg(isinf(find("weight")->ratio), "and says so");
    g.out[WEIGHT].value[2] = 0;
    ck_assert_msg(with_weight(-0.0)->pass, "-0 equals 0 where a value is bounded");
    ck_assert_msg(!with_weight(0x1p-1074)->pass, "the least subnormal does not");
}
END_TEST

START_TEST(vacuous_bounds_are_counted)
{
    g.out[WEIGHT].bound[1] = g.out[WEIGHT].bound[2] = INFINITY;
    ck_assert_msg(with_weight(1e9)->pass, "a bound of +inf excuses any number");
    ck_assert_uint_eq(find("weight")->vacuous, 2);
    ck_assert_uint_eq(v.vacuous, 2);
}
END_TEST

START_TEST(exact_means_bit_for_bit)
{
    double half[4] = {0.5, 0.5, 0.5, -0.0};
    int64_t load[4] = {1, 2, 0, 1};
    answer_without("half");
    add_doubles("half", &c->out[HALF], half);
    judge();
    ck_assert_msg(!v.pass && !find("half")->pass, "-0 is not 0 bit for bit");
    ck_assert_uint_eq(find("half")->outside, 1);
    verdict_case_clear(&v);
    tensor_file_clear(&answer);
    answer_without("load");
    add_integers("load", &c->out[LOAD], load);
    judge();
    ck_assert_msg(!v.pass && find("load")->outside == 2, "two counts are wrong");
    ck_assert_msg(says("load[1] = 2, expected exactly 1"), "and the first is shown");
}
END_TEST

START_TEST(the_ratio_itself)
{
    ck_assert_double_eq(verdict_ratio(3, 1, 4), 0.5);
    ck_assert_double_eq(verdict_ratio(-1e308, 1e308, 1), INFINITY); /* the difference overflows */
    ck_assert_double_eq(verdict_ratio(1, 1, 0), 0);
    ck_assert_double_eq(verdict_ratio(2, 1, 0), INFINITY);
    ck_assert_msg(isnan(verdict_ratio(NAN, NAN, INFINITY)), "NaN agrees with nothing, itself included");
    ck_assert_msg(!(verdict_ratio(INFINITY, 1, 1e308) <= 1), "an infinity is beyond any finite bound");
}
END_TEST

START_TEST(a_bound_contains_the_ball)
{
    ck_assert_double_eq(verdict_bound(1, 0, 0x1p-60, 1), 0x1p-60); /* centred: the radius, not a bit more */
    /* Centre 1 + 2^-54, radius 2^-60, about golden 1: at least 2^-54 + 2^-60, and hardly more. */
    const double b = verdict_bound(1, 0x1p-54, 0x1p-60, 1), least = 0x1p-54 + 0x1p-60;
    ck_assert_double_ge(b, least);
    ck_assert_double_le(b, least * (1 + 0x1p-50));
    /* golden one ulp above the centre */
    ck_assert_double_ge(verdict_bound(1, 0, 0x1p-60, 1 + 0x1p-52), 0x1p-52 + 0x1p-60);
    ck_assert_msg(isinf(verdict_bound(1, 0, INFINITY, 2)), "an unbounded ball has no bound");
}
END_TEST

/* --- tensors that are not what they should be ---------------------------------------------------------------- */

START_TEST(missing_tensors_fail)
{
    static const char *const owed[] = {"weight", "index", "load", "half", "d_r"};
    for (size_t i = 0; i < 5; i++) {
        char sentence[80];
        answer_without(owed[i]);
        judge();
        snprintf(sentence, sizeof sentence, "'%s' is missing", owed[i]);
        ck_assert_msg(!v.pass, "%s is owed", owed[i]);
        ck_assert_msg(says(sentence), "the report says that %s is missing", owed[i]);
        verdict_case_clear(&v);
        tensor_file_clear(&answer);
    }
    judge();
    ck_assert_msg(!v.pass, "an empty answer is no answer");
}
END_TEST

START_TEST(no_answer_fails)
{
    ck_assert_int_eq(verdict_judge(c, "case", &g, NULL, profile, &v, err, sizeof err), 0);
    ck_assert_msg(!v.pass && v.fault, "no answer is a failure");
}
END_TEST

START_TEST(unknown_tensors_fail)
{
    answer_without("");
    add_doubles("wieght", &c->out[WEIGHT], the_weight);
    judge();
    ck_assert_msg(!v.pass && says("'wieght' is unknown"), "a misspelt tensor is named");
    ck_assert_msg(find("weight")->pass, "the others are judged all the same");
}
END_TEST

START_TEST(wrong_shapes_fail)
{
    const op_value transposed = {.rank = 2, .dim = {4, 1}}, flat = {.rank = 1, .dim = {4}};
    answer_without("weight half");
    add_doubles("weight", &transposed, the_weight);
    add_doubles("half", &flat, the_half);
    judge();
    ck_assert_msg(!v.pass && says("'weight' has shape [4,1], expected [2,2]"), "the right count, the wrong shape");
    ck_assert_msg(find("half")->pass, "[4] is the shape of half");
}
END_TEST

START_TEST(wrong_types_fail)
{
    const float narrow[4] = {0.75F, 0.25F, 0.5F, 0.5F};
    answer_without("weight index");
    add_doubles("index", &c->out[INDEX], (const double[]){2, 0, 1, 3});
    add_integers("weight", &c->out[WEIGHT], (const int64_t[]){0, 0, 0, 0});
    judge();
    ck_assert_msg(says("'index' is F64, expected I64 [2,2]"), "floats for integers");
    ck_assert_msg(says("'weight' is I64, expected a floating-point dtype [2,2]"), "integers for floats");
    verdict_case_clear(&v);
    tensor_file_clear(&answer);
    answer_without("weight");
    ck_assert_int_eq(tensor_file_add(&answer, "weight", TENSOR_F32, 2, c->out[WEIGHT].dim, narrow), 0);
    judge();
    ck_assert_msg(!v.pass && says("'weight' is F32, which cannot hold the precision f64"),
                  "values that happen to fit do not make a binary32 answer a binary64 one");
    profile = twin_profile_find("f32");
    verdict_case_clear(&v);
    judge();
    ck_assert_msg(v.pass, "at f32 the same answer passes");
}
END_TEST

START_TEST(which_types_hold_which_precisions)
{
    static const struct {
        const char *precision;
        bool f64, f32, bf16, f16;
    } row[] = {{"f64", true, false, false, false},
               {"f32", true, true, false, false},
               {"tf32", true, true, false, true},
               {"bf16", true, true, true, true},
               {"f16", true, true, false, true}};
    for (size_t i = 0; i < 5; i++) {
        const twin_profile *p = twin_profile_find(row[i].precision);
        ck_assert_msg(verdict_dtype_holds(TENSOR_F64, p) == row[i].f64, "F64 under %s", row[i].precision);
        ck_assert_msg(verdict_dtype_holds(TENSOR_F32, p) == row[i].f32, "F32 under %s", row[i].precision);
        ck_assert_msg(verdict_dtype_holds(TENSOR_BF16, p) == row[i].bf16, "BF16 under %s", row[i].precision);
        ck_assert_msg(verdict_dtype_holds(TENSOR_F16, p) == row[i].f16, "F16 under %s", row[i].precision);
        ck_assert_msg(!verdict_dtype_holds(TENSOR_I64, p), "I64 under %s", row[i].precision);
    }
}
END_TEST

START_TEST(stages_are_optional_and_judged)
{
    double s[8];
    memcpy(s, the_score, sizeof s);
    answer_without("");
    add_doubles("s", &c->out[S], s);
    add_doubles("margin", &c->out[MARGIN], (const double[]){NAN, -7});
    judge();
    ck_assert_msg(v.pass, "a right stage passes, and a margin is never judged");
    verdict_case_clear(&v);
    tensor_file_clear(&answer);
    s[5] += 0x1p-7;
    answer_without("");
    add_doubles("s", &c->out[S], s);
    judge();
    ck_assert_msg(!v.pass && !find("s")->pass, "a wrong stage fails although it was not owed");
    ck_assert_str_eq(v.t[0].name, "s"); /* stages stand first: what departs first is what went wrong */
}
END_TEST

/* --- decisions ----------------------------------------------------------------------------------------------- */

/* Admissible by scores, all with the same bound? */
static bool admissible(const double *score, double bound, size_t N, size_t K, const int64_t *index)
{
    golden_tensor s = floats(N, score, bound);
    int64_t a, b;
    const bool yes = verdict_admissible(&s, 0, N, K, index, &a, &b);
    free(s.value);
    free(s.bound);
    return yes;
}

START_TEST(admissible_selections)
{
    const double s[4] = {3, 2.5, 2, 0};
    const struct {
        int64_t index[2];
        bool at_eighth, at_quarter, at_half;
        const char *what;
    } row[] = {
        {{0, 1}, true, true, true, "the golden selection"},
        {{1, 0}, false, true, true, "0.5 behind: excused from bounds of 1/4 on"},
        {{0, 2}, false, true, true, "2 for 1: 0.5 behind"},
        {{2, 0}, false, false, true, "2 before 0: 1 behind, and 1 left out"},
        {{1, 2}, false, false, true, "0 left out for 2: 1 behind"},
        {{0, 3}, false, false, false, "3 for 1: 2.5 behind"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        ck_assert_msg(admissible(s, 0.125, 4, 2, row[i].index) == row[i].at_eighth, "%s, bound 1/8", row[i].what);
        ck_assert_msg(admissible(s, 0.25, 4, 2, row[i].index) == row[i].at_quarter, "%s, bound 1/4", row[i].what);
        ck_assert_msg(admissible(s, 0.5, 4, 2, row[i].index) == row[i].at_half, "%s, bound 1/2", row[i].what);
    }
    ck_assert_msg(!admissible(s, nextafter(0.25, 0), 4, 2, (const int64_t[]){1, 0}), "an ulp less does not excuse 0.5");
}
END_TEST

START_TEST(exact_ties_go_to_the_lower_index)
{
    const double s[3] = {1, 1, 0};
    ck_assert_msg(admissible(s, 0, 3, 1, (const int64_t[]){0}), "the lower index wins (N.25)");
    ck_assert_msg(!admissible(s, 0, 3, 1, (const int64_t[]){1}), "with exact scores nobody has an excuse to differ");
    ck_assert_msg(!admissible(s, 0, 3, 2, (const int64_t[]){1, 0}), "nor in the order inside the K");
    ck_assert_msg(admissible(s, 0x1p-1074, 3, 1, (const int64_t[]){1}), "the least rounding makes it a matter of luck");
    ck_assert_msg(admissible((const double[]){-0.0, 0.0}, 0, 2, 2, (const int64_t[]){0, 1}), "-0 and 0 tie");
    ck_assert_msg(!admissible((const double[]){-0.0, 0.0}, 0, 2, 2, (const int64_t[]){1, 0}), "in either order");
}
END_TEST

START_TEST(ambiguous_tokens_are_counted)
{
    golden_tensor s = floats(8, the_score, 0x1p-8);
    ck_assert_msg(!verdict_ambiguous(&s, 0, 4, 2, the_index), "scores 1 apart, bounds 2^-8: no other is admissible");
    s.bound[0] = s.bound[3] = 0.5;
    ck_assert_msg(verdict_ambiguous(&s, 0, 4, 2, the_index), "expert 3 may take the place of expert 0");
    s.bound[3] = nextafter(0.5, 0);
    volatile long double one = 1,
                         more = one + 0x1p-60L; /* equal under Valgrind, which computes long double as double */
    ck_assert_msg(more == one || !verdict_ambiguous(&s, 0, 4, 2, the_index), "an ulp less and it may not");
    free(s.value);
    free(s.bound);
    for (size_t row = 0; row < 2; row++) { /* of the first token, then of the second alone: its scores are (-1 4 0 2) */
        for (size_t i = 0; i < 8; i++) g.score[INDEX].bound[i] = i / 4 == row ? 1 : 0;
        verdict_case_clear(&v);
        tensor_file_clear(&answer);
        answer_without("");
        judge();
        ck_assert(v.pass && v.tokens == 2 && v.ambiguous == 1);
    }
}
END_TEST

START_TEST(malformed_decisions_fail)
{
    static const int64_t bad[][4] = {
        {2, 4, 1, 3}, {-1, 0, 1, 3}, {2, 2, 1, 3}, {INT64_MAX, 0, 1, 3}, {2, INT64_MIN, 1, 3}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        answer_without("index");
        add_integers("index", &c->out[INDEX], bad[i]);
        judge();
        ck_assert_msg(!v.pass && v.inadmissible == 1 && !v.replayed, "malformed decision %zu is not replayed", i);
        ck_assert_msg(says("expected 2 different experts out of 0..3"), "the report says what is expected");
        ck_assert_msg(find("weight")->pass, "all else is judged by the golden decision");
        verdict_case_clear(&v);
        tensor_file_clear(&answer);
    }
}
END_TEST

START_TEST(swapped_weights_fail)
{
    answer_without("weight");
    add_doubles("weight", &c->out[WEIGHT], (const double[]){0.25, 0.75, 0.5, 0.5});
    judge();
    ck_assert_msg(!v.pass && find("weight")->outside == 2, "the right set, its weights swapped: pairs are compared");
}
END_TEST

/* --- factors ------------------------------------------------------------------------------------------------- */

static unsigned factor_bit(const char *name)
{
    for (size_t i = 0; verdict_factor(i, NULL, NULL); i++)
        if (strcmp(verdict_factor(i, NULL, NULL), name) == 0) return 1U << i;
    ck_abort_msg("no factor %s", name);
    return 0;
}

static unsigned factors_of_gradient(double f)
{
    double d[8];
    for (size_t i = 0; i < 8; i++) d[i] = f * the_gradient[i];
    verdict_case_clear(&v);
    tensor_file_clear(&answer);
    answer_without("d_r");
    add_doubles("d_r", &c->grad[0], d);
    judge();
    ck_assert_msg(verdict_diagnose(c, &g, &answer, profile, NULL, &v, err, sizeof err) == 0, "%s", err);
    return find("d_r")->factors;
}

START_TEST(simple_factors_are_named)
{
    /* T = 2, N = 4, K = 2 */
    ck_assert_uint_eq(factors_of_gradient(0.5),
                      factor_bit("1/2") | factor_bit("1/K") | factor_bit("1/T") | factor_bit("K/N"));
    ck_assert_uint_eq(factors_of_gradient(8), factor_bit("T*N"));
    ck_assert_uint_eq(factors_of_gradient(-1), factor_bit("-1"));
    ck_assert_uint_eq(factors_of_gradient(0), factor_bit("0"));
    ck_assert_uint_eq(factors_of_gradient(1.7), 0);
    ck_assert_msg(factors_of_gradient(1) == 0 && v.pass, "the right gradient is no multiple of itself");
    ck_assert_uint_eq(factors_of_gradient(NAN), 0);
}
END_TEST

static char *render(report_format f, verdict_case *list, size_t n);
static void drawn_case(const char *op, const char *dims, const char *set);
static bool *exposed_of(bool *exposed, const char *op, const char *name);

static bool says_factor(double f, const char *words)
{
    factors_of_gradient(f);
    char *text = render(REPORT_TEXT, &v, 1), line[200];
    snprintf(line, sizeof line, "d_r: every failing element equals golden times %s\n", words);
    const bool said = strstr(text, line) != NULL;
    snprintf(line, sizeof line, "d_r: golden times %s, in the one case where it fails", words);
    const bool said_again = strstr(text, line) != NULL;
    free(text);
    return said && said_again;
}

START_TEST(one_name_of_a_factor_is_shown)
{
    /* T = 2, N = 4, K = 2 */
    ck_assert_msg(says_factor(0.5, "1/2"), "not 1/K, 1/T or K/N, which are the same number here");
    ck_assert_msg(says_factor(4, "4"), "N or T*K: neither is more likely, the number is shown");
    ck_assert_msg(says_factor(0.25, "1/4"), "1/N or 1/(T*K)");
    ck_assert_msg(says_factor(8, "T*N"), "nothing else is 8");
    ck_assert_msg(says_factor(-1, "-1"), "a plain number");
    ck_assert_msg(says_factor(0, "0 (all are exactly 0)"), "never computed");
    ck_assert_msg(says_factor(1e-300, "0"), "tiny, and not exactly 0");
    verdict_match *match = calloc(1, sizeof *match);
    ck_assert_ptr_nonnull(match);
    factors_of_gradient(0.5);
    *match = (verdict_match){.variant = &twin_variants[0], .tells = true};
    free(v.match);
    v.match = match;
    v.matches = 1;
    char *text = render(REPORT_TEXT, &v, 1);
    ck_assert_msg(!strstr(text, "golden times"), "a class has been named: no factors besides");
    free(text);
}
END_TEST

/* --- golden files -------------------------------------------------------------------------------------------- */

/* An expected file of the toy with bounds for f64; `spoil` names the tensor that is spoilt, `how` says in what way. */
static void expected_file(tensor_file *f, const char *spoil, char how)
{
    const struct {
        const char *name;
        const op_value *shape;
        const double *value;
    } row[] = {{"weight", &c->out[WEIGHT], the_weight},
               {"half", &c->out[HALF], the_half},
               {"s", &c->out[S], the_score},
               {"margin", &c->out[MARGIN], the_margin},
               {"d_r", &c->grad[0], the_gradient},
               {"score.index", &c->out[S], the_score}};
    static const double zeros[8], bounds[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    memset(f, 0, sizeof *f);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        double x[8], b[8];
        char name[80];
        const bool score = strncmp(row[i].name, "score.", 6) == 0, mine = strcmp(spoil, row[i].name) == 0;
        memcpy(x, row[i].value, row[i].shape->count * sizeof *x);
        memcpy(b, bounds, sizeof b);
        if (mine && how == 'n') x[0] = NAN;
        if (mine && how == '-') b[0] = -1;
        if (mine && how == '?') b[0] = NAN;
        const size_t rank = mine && how == 's' ? 1 : row[i].shape->rank;
        if (!(mine && how == 'm')) tensor_file_add(f, row[i].name, TENSOR_F64, rank, row[i].shape->dim, x);
        snprintf(name, sizeof name, "%sf64.%s", score ? "score_bound." : "bound.", score ? "index" : row[i].name);
        tensor_file_add(f, name, TENSOR_F64, row[i].shape->rank, row[i].shape->dim, b);
        snprintf(name, sizeof name, "radius.%s", row[i].name);
        if (!score) tensor_file_add(f, name, TENSOR_F64, row[i].shape->rank, row[i].shape->dim, zeros);
    }
    tensor_file_add(f, "index", TENSOR_I64, 2, c->out[INDEX].dim, the_index);
    if (how != 'f')
        tensor_file_add(f, "load", TENSOR_I64, 1, c->out[LOAD].dim, the_load);
    else
        tensor_file_add(f, "load", TENSOR_F64, 1, c->out[LOAD].dim, the_half);
    if (how == 'u') tensor_file_add(f, "bound.f65.weight", TENSOR_F64, 2, c->out[WEIGHT].dim, the_weight);
}

START_TEST(golden_files_are_read)
{
    tensor_file f;
    verdict_golden h;
    expected_file(&f, "", ' ');
    ck_assert_msg(verdict_golden_read(c, &f, "file", profile, &h, err, sizeof err) == 0, "%s", err);
    ck_assert_mem_eq(h.out[WEIGHT].value, the_weight, sizeof the_weight);
    ck_assert_double_eq(h.out[WEIGHT].bound[3], 1);
    ck_assert_mem_eq(h.out[INDEX].index, the_index, sizeof the_index);
    ck_assert_mem_eq(h.score[INDEX].value, the_score, sizeof the_score);
    ck_assert_double_eq(h.score[INDEX].bound[7], 1);
    ck_assert_mem_eq(h.grad[0].value, the_gradient, sizeof the_gradient);
    ck_assert_msg(isinf(h.out[MARGIN].bound[0]) && isinf(h.out[MARGIN].bound[1]),
                  "a margin is never judged, whatever the file says");
    ck_assert_mem_eq(c->out[INDEX].i64, the_index, sizeof the_index);
    verdict_golden_clear(&h);
    tensor_file_clear(&f);
}
END_TEST

START_TEST(bad_golden_files_are_refused)
{
    static const struct {
        const char *tensor;
        char how;
        const char *message;
    } row[] = {{"weight", 'n', "file: 'weight': element 0"},
               {"d_r", '-', "file: 'd_r': element 0"},
               {"s", '?', "file: 's': element 0"},
               {"score.index", '-', "file: 'score.index': element 0"},
               {"weight", 'm', "file: tensor 'weight' is missing, expected F64 [2,2]"},
               {"d_r", 's', "file: tensor 'd_r' is not F64 [2,4]"},
               {"load", 'f', "file: tensor 'load' is not I64 [4]"},
               {"", 'u', "file: unknown tensor 'bound.f65.weight'"}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        tensor_file f;
        verdict_golden h;
        expected_file(&f, row[i].tensor, row[i].how);
        ck_assert_msg(verdict_golden_read(c, &f, "file", profile, &h, err, sizeof err) == -1, "row %zu", i);
        ck_assert_msg(strstr(err, row[i].message) != NULL, "'%s' does not say '%s'", err, row[i].message);
        tensor_file_clear(&f);
    }
}
END_TEST

/* --- with the twin: competition routing, small enough for pencil and paper -----------------------------------
 *
 * compete.route, N = 2, K = 1, d = 2: outputs (1, 2) and (2, 1).  Both responses are (softplus(1) + softplus(2)) / 2,
 * so in any precision the winner is a matter of rounding, and each winner has weight s/s = 1: y is the winner's output,
 * and with the cotangent d_y = (1, 0) the gradient is (1, 0) for the winner and 0 for the other. */

static void add_scalars(const char *name, size_t rank, const size_t *dim, const double *x)
{
    ck_assert_int_eq(tensor_file_add(&answer, name, TENSOR_F64, rank, dim, x), 0);
}

static void route_answer(int64_t winner, const double *y, const double *d_o)
{
    const size_t one[] = {1, 1}, y_dim[] = {1, 2}, s_dim[] = {1, 2}, o_dim[] = {1, 2, 2};
    /* log(1 + e) and log(1 + e^2), from tables */
    const double s = (1.3132616875182228 + 2.1269280110429727) / 2;
    ck_assert_int_eq(tensor_file_add(&answer, "index", TENSOR_I64, 2, one, &winner), 0);
    add_scalars("y", 2, y_dim, y);
    add_scalars("s", 2, s_dim, (const double[]){s, s});
    add_scalars("weight", 2, one, (const double[]){1});
    add_scalars("d_o", 3, o_dim, d_o);
}

static void route_case(const double o[4])
{
    const op_record *op = op_find("compete.route");
    ck_assert_ptr_nonnull(op);
    take(op, "T=1,N=2,d=2", "k=1");
    memcpy(op_in(c, "o"), o, 4 * sizeof *o);
    op_cot(c, "y")[0] = 1;
    ck_assert_int_eq(op_run(c), SMOE_OK);
    ck_assert_msg(verdict_golden_run(c, profile, &g, err, sizeof err) == 0, "%s", err);
}

START_TEST(an_ambiguous_decision_is_replayed)
{
    const double first[2] = {1, 2}, second[2] = {2, 1};
    const double d_first[4] = {1, 0, 0, 0}, d_second[4] = {0, 0, 1, 0};
    route_case((const double[]){1, 2, 2, 1});
    for (int64_t winner = 0; winner < 2; winner++) {
        route_answer(winner, winner ? second : first, winner ? d_second : d_first);
        judge();
        ck_assert_msg(v.pass, "either winner is right, if all that follows follows from it (winner %d)", (int)winner);
        ck_assert_uint_eq(v.ambiguous, 1);
        tensor_file_clear(&answer);
        verdict_case_clear(&v);
        route_answer(winner, winner ? first : second, winner ? d_second : d_first);
        judge();
        ck_assert_msg(!v.pass && !find("y")->pass && find("d_o")->pass, "y of the other winner is wrong (winner %d)",
                      (int)winner);
        tensor_file_clear(&answer);
        verdict_case_clear(&v);
        route_answer(winner, winner ? second : first, winner ? d_first : d_second);
        judge();
        ck_assert_msg(!v.pass && find("y")->pass && !find("d_o")->pass, "the gradient of the other winner is wrong");
        tensor_file_clear(&answer);
        verdict_case_clear(&v);
    }
}
END_TEST

START_TEST(an_inadmissible_decision_fails_though_all_follows_from_it)
{
    /* (1, 2) against (4, 2): the second responds more, by far more than any rounding. */
    const double y[2] = {1, 2}, d_o[4] = {1, 0, 0, 0};
    const double s1 = (1.3132616875182228 + 2.1269280110429727) / 2, s2 = (4.0181499279178094 + 2.1269280110429727) / 2;
    const size_t one[] = {1, 1}, two[] = {1, 2}, o_dim[] = {1, 2, 2};
    const int64_t wrong = 0;
    route_case((const double[]){1, 2, 4, 2});
    ck_assert_int_eq(tensor_file_add(&answer, "index", TENSOR_I64, 2, one, &wrong), 0);
    add_scalars("y", 2, two, y);
    add_scalars("s", 2, two, (const double[]){s1, s2});
    add_scalars("weight", 2, one, (const double[]){1});
    add_scalars("d_o", 3, o_dim, d_o);
    judge();
    ck_assert_msg(!v.pass && v.inadmissible == 1 && v.ambiguous == 0, "the loser cannot win");
    ck_assert_msg(find("y")->pass && find("d_o")->pass, "what follows from the wrong decision is right");
    ck_assert_msg(says("token 0 chose (0), golden (1): expert 0"), "the report names token and experts");
}
END_TEST

START_TEST(the_order_inside_the_k_counts)
{
    /* K = N = 2: both are taken; the order is by response, here (1 0). */
    const op_record *op = op_find("compete.route");
    const int64_t reversed[2] = {0, 1}, rightly[2] = {1, 0};
    const size_t two[] = {1, 2};
    take(op, "T=1,N=2,d=2", "k=2");
    memcpy(op_in(c, "o"), (const double[]){1, 2, 4, 2}, 4 * sizeof(double));
    ck_assert_int_eq(op_run(c), SMOE_OK);
    ck_assert_mem_eq(op_out_i64(c, "index"), rightly, sizeof rightly);
    ck_assert_msg(verdict_golden_run(c, profile, &g, err, sizeof err) == 0, "%s", err);
    const double a = op_out(c, "weight")[0], b = op_out(c, "weight")[1];
    ck_assert_int_eq(tensor_file_add(&answer, "index", TENSOR_I64, 2, two, reversed), 0);
    add_scalars("weight", 2, two, (const double[]){b, a});
    judge();
    ck_assert_msg(!find("index")->pass, "the smaller response cannot stand first");
    ck_assert_msg(find("weight")->pass, "its weights are those of its own order");
    ck_assert_msg(says("stands before"), "the report says that the order is wrong, not the set");
}
END_TEST

START_TEST(ties_left_to_the_sort_are_named)
{
    /* Token 0: experts 1 and 3 tie for the second place.  Token 1: 3 and 0 tie for the second; 2 is behind both. */
    static const double score[8] = {0, 2, 3, 2, 1, 4, 0, 1};
    static const int64_t golden[4] = {2, 1, 1, 0}, higher[4] = {2, 3, 1, 3}, behind[4] = {2, 3, 1, 2};
    const op_record *op = op_find("gate.weights");
    ck_assert_ptr_nonnull(op);
    take(op, "T=2,N=4", "k=2");
    memcpy(op_in(c, "r"), score, sizeof score);
    ck_assert_int_eq(op_run(c), SMOE_OK);
    ck_assert_mem_eq(op_out_i64(c, "index"), golden, sizeof golden);
    ck_assert_msg(verdict_golden_run(c, profile, &g, err, sizeof err) == 0, "%s", err);
    for (int i = 0; i < 2; i++) {
        const size_t dim[] = {2, 2}, r_dim[] = {2, 4};
        const double e1 = 0.2689414213699951, e3 = 0.04742587317756678; /* 1/(1 + e) and 1/(1 + e^3), from tables */
        const double e4 = 0.01798620996209156; /* 1/(1 + e^4) */
        tensor_file_clear(&answer);
        verdict_case_clear(&v);
        ck_assert_int_eq(tensor_file_add(&answer, "index", TENSOR_I64, 2, dim, i ? behind : higher), 0);
        add_scalars("weight", 2, dim, (const double[]){1 - e1, e1, i ? 1 - e4 : 1 - e3, i ? e4 : e3});
        add_scalars("d_r", 2, r_dim, (const double[8]){0});
        judge();
        ck_assert_msg(!v.pass && v.inadmissible == 2 && find("weight")->pass, "only the choice is wrong");
        ck_assert_msg(verdict_diagnose(c, &g, &answer, profile, NULL, &v, err, sizeof err) == 0, "%s", err);
        ck_assert_msg(says("experts 1 and 3 tie exactly"), "the tie is shown");
        ck_assert_msg((v.matches == 1 && strcmp(v.match[0].variant->name, "TieOrder") == 0) == (i == 0),
                      "ties alone are TieOrder; an expert that is behind is not");
    }
}
END_TEST

/* balance.switch, T = 2, N = 2, K = 2, both logits of each token (log 3, 0): p = (3/4, 1/4), f = (1/2, 1/2),
 * loss = 2 (1/2 3/4 + 1/2 1/4) = 1; with P over T K it is 1/2 and P is (3/8, 1/8); f is uniform, so the gradient is
 * 0. */
static void balance_case(void)
{
    const op_record *op = op_find("balance.switch");
    const double log3 = 1.0986122886681098;
    take(op, "T=2,N=2", "k=2");
    memcpy(op_in(c, "r"), (const double[]){log3, 0, log3, 0}, 4 * sizeof(double));
    memcpy(op_in(c, "mask"), (const double[]){1, 1}, 2 * sizeof(double));
    op_cot(c, "loss")[0] = 1;
    ck_assert_int_eq(op_run(c), SMOE_OK);
    ck_assert_msg(verdict_golden_run(c, profile, &g, err, sizeof err) == 0, "%s", err);
}

static void balance_answer(double loss, double p0, double p1)
{
    const size_t n[] = {2}, r[] = {2, 2};
    tensor_file_clear(&answer);
    verdict_case_clear(&v);
    add_scalars("loss", 0, n, &loss);
    add_scalars("fraction", 1, n, (const double[]){0.5, 0.5});
    add_scalars("probability", 1, n, (const double[]){p0, p1});
    add_scalars("d_r", 2, r, (const double[]){0, 0, 0, 0});
    judge();
    ck_assert_msg(verdict_diagnose(c, &g, &answer, profile, NULL, &v, err, sizeof err) == 0, "%s", err);
}

START_TEST(a_known_wrong_variant_is_named)
{
    profile = twin_profile_find("f32");
    balance_case();
    balance_answer(1, 0.75, 0.25);
    ck_assert_msg(v.pass && v.matches == 0, "the right answer without the optional decision passes");
    balance_answer(0.5, 0.375, 0.125);
    ck_assert_msg(!v.pass, "half the value is wrong");
    bool named = false;
    for (size_t i = 0; i < v.matches; i++)
        named |= v.match[i].tells && strcmp(v.match[i].variant->name, "LblProbOverTK") == 0;
    ck_assert_msg(named, "and is known: P divided by T K");
    balance_answer(0.5, 0.375, NAN);
    ck_assert_msg(!v.pass && v.matches == 0, "a NaN agrees with no variant either");
    balance_answer(0.7, 0.375, 0.125);
    ck_assert_msg(!v.pass && v.matches == 0, "a mistake that nobody listed gets no name");
}
END_TEST

/* Both at once: P over T K is halved, f over all K choices divided by T is doubled, and the loss is right again:
 * 2 (1 3/8 + 1 1/8) = 1. */
static void two_at_once(double loss, double f1, double p1)
{
    const size_t n[] = {2}, r[] = {2, 2};
    tensor_file_clear(&answer);
    verdict_case_clear(&v);
    add_scalars("loss", 0, n, &loss);
    add_scalars("fraction", 1, n, (const double[]){1, f1});
    add_scalars("probability", 1, n, (const double[]){0.375, p1});
    add_scalars("d_r", 2, r, (const double[]){0, 0, 0, 0});
    judge();
    ck_assert_msg(verdict_diagnose(c, &g, &answer, profile, NULL, &v, err, sizeof err) == 0, "%s", err);
    ck_assert_msg(!v.pass && (v.matches == 0 || !v.match[0].tells), "no single variant is this answer");
}

static const twin_variant *pair_found(void)
{
    ck_assert_msg(verdict_diagnose_pairs(c, &g, &answer, profile, &v, err, sizeof err) == 0, "%s", err);
    return v.matches > 0 && v.match[0].tells ? v.match[0].variant : NULL;
}

START_TEST(two_wrong_variants_at_once_are_named)
{
    profile = twin_profile_find("f32");
    balance_case();
    two_at_once(1, 1, 0.125);
    const twin_variant *w = pair_found();
    ck_assert_msg(w && strcmp(w->name, "LblProbOverTK+LblTopKNorm") == 0, "%s", w ? w->name : "nothing");
    ck_assert_ptr_eq(w, verdict_variant("balance.switch", "LblTopKNorm+LblProbOverTK"));
    ck_assert_str_eq(w->op, "balance.switch");
    const twin_variant *first = verdict_variant("balance.switch", "LblProbOverTK"),
                       *second = verdict_variant("balance.switch", "LblTopKNorm");
    char both[600];
    ck_assert(first && second);
    ck_assert_str_eq(
        w->formula,
        "two at once, balance.switch with P divided by T*K, and balance.switch with f over all K choices divided by T");
    ck_assert_str_eq(w->effect, "1/K of the value and of the gradient; and K times the value");
    snprintf(both, sizeof both, "%s; and %s", first->met, second->met);
    ck_assert_str_eq(w->met, both);
    char *text = render(REPORT_TEXT, &v, 1);
    ck_assert_msg(text && strstr(text, "LblProbOverTK+LblTopKNorm"), "%s", text);
    free(text);
    two_at_once(0.9, 1, 0.125);
    ck_assert_msg(!pair_found(), "another loss is no pair");
    two_at_once(1, NAN, 0.125);
    ck_assert_msg(!pair_found(), "nor is a NaN");
    two_at_once(1, 1, 0.126);
    ck_assert_msg(!pair_found(), "nor is one element of P that is off");
}
END_TEST

START_TEST(a_pair_is_tried_on_other_cases)
{
    profile = twin_profile_find("f32");
    balance_case();
    two_at_once(1, 1, 0.125);
    const size_t before = v.matches;
    const twin_variant *w = verdict_variant("balance.switch", "LblProbOverTK+LblTopKNorm"),
                       *other = verdict_variant("balance.switch", "LblProbOverTK+LblCountAll");
    ck_assert_ptr_nonnull(w);
    ck_assert_ptr_nonnull(other);
    ck_assert_ptr_ne(w, other);
    ck_assert_int_eq(verdict_diagnose_as(c, &g, &answer, profile, other, &v, err, sizeof err), 0);
    ck_assert_uint_eq(v.matches, before);
    ck_assert_msg(!verdict_explained(&v), "by no variant");
    ck_assert_int_eq(verdict_diagnose_as(c, &g, &answer, profile, w, &v, err, sizeof err), 0);
    ck_assert_uint_eq(v.matches, before + 1);
    ck_assert_msg(v.match[0].variant == w && v.match[0].tells && v.match[0].ratio <= 1, "the pair");
    ck_assert_msg(verdict_explained(&v), "now it is");
}
END_TEST

START_TEST(pairs_are_two_of_the_table)
{
    const char *const bad[] = {
        "LblProbOverTK+LblProbOverTK",
        "LblProbOverTK+",
        "+LblProbOverTK",
        "LblProbOverTK+LblNobody",
        "LblProbOverTK+DetachedProbs",
        "LblProbOverTK+LblTopKNorm+LblGrad",
        "LblProbOverTK+LblTopKNormLblProbOverTKLblProbOverTKLblProbOverTKLblProbOverTKLblProbOverTK",
        "LblProbOverTKLblProbOverTKLblProbOverTKLblProbOverTKLblProbOverTKLblProbOverTKLblPr+LblGrad",
        "+"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!verdict_variant("balance.switch", bad[i]), "%s", bad[i]);
    ck_assert_ptr_null(verdict_variant("layer.dispatch", "LblProbOverTK+LblTopKNorm"));
    const twin_variant *one = verdict_variant("balance.switch", "LblProbOverTK"),
                       *two = verdict_variant("balance.switch", "LblGrad"),
                       *three = verdict_variant("balance.switch", "LblTopKNorm"),
                       *foreign = verdict_variant("layer.dispatch", "CapacityDrop/token"),
                       *both = diagnose_pair(one, two);
    ck_assert(one && two && three && foreign && both && both == diagnose_pair(two, one));
    ck_assert(!diagnose_pair(one, NULL) && !diagnose_pair(NULL, one) && !diagnose_pair(one, one));
    ck_assert(!diagnose_pair(both, three) && !diagnose_pair(three, both) && !diagnose_pair(one, foreign));
    ck_assert(diagnose_pair(one, three) != both && diagnose_pair(two, three) != both);
    ck_assert_ptr_null(verdict_variant("", "TieOrder+TieOrder"));
    ck_assert_ptr_null(verdict_variant("", "LblProbOverTK"));
    ck_assert_ptr_null(verdict_variant("balance.switch", "LblProbOverT"));
    ck_assert_ptr_null(verdict_variant("balance.switch", "LblProbOverTKK"));
    ck_assert_ptr_null(verdict_variant("balance.swit", "LblProbOverTK"));
    ck_assert_ptr_null(verdict_variant("balance.switch", "TieOrder"));
    ck_assert_ptr_null(verdict_variant("balance.switch", ""));
    const twin_variant *tie = verdict_variant("", "TieOrder"); /* of no operation, and no row of the table */
    ck_assert(tie && strcmp(tie->name, "TieOrder") == 0 && !verdict_in_table(tie));
    const twin_variant *row = twin_variants;
    for (; row->op; row++) ck_assert(verdict_in_table(row));
    ck_assert_msg(!verdict_in_table(row), "the end of the table is no row of it");
}
END_TEST

/* The twin's two at once on the same case: P is that of the one, f that of the other. */
START_TEST(the_twin_computes_two_at_once)
{
    const char *const bad[] = {"",
                               "+",
                               "LblProbOverTK+",
                               "+LblProbOverTK",
                               "LblProbOverTK++LblTopKNorm",
                               "LblProb",
                               "LblProbOverTK+LblNobody"};
    twin_result r;
    balance_case();
    ck_assert_int_eq(twin_run(c, NULL, "LblTopKNorm+LblProbOverTK", VERDICT_PREC, &r, err, sizeof err), 0);
    ck_assert_double_eq_tol(r.out[0].hi[0], 1, 1e-15);
    ck_assert_double_eq_tol(r.out[1].hi[0], 1, 1e-15);
    ck_assert_double_eq_tol(r.out[2].hi[0], 0.375, 1e-15);
    twin_result_clear(&r);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_msg(twin_run(c, NULL, bad[i], VERDICT_PREC, &r, err, sizeof err) != 0, "%s", bad[i]);
        ck_assert_ptr_nonnull(strstr(err, "has no variant"));
    }
}
END_TEST

/* layer.dispatch, two tokens that both want both experts, the second in the other order, one place each: all first choices
 * are placed, all second ones dropped.  Token by token the first token takes both places. */
static void dispatch_answer(const double xe[2], const int64_t slot[4], const double d_x[2])
{
    const size_t buffers[] = {2, 1, 1}, choices[] = {2, 2}, tokens[] = {2, 1};
    tensor_file_clear(&answer);
    verdict_case_clear(&v);
    add_scalars("xe", 3, buffers, xe);
    ck_assert_int_eq(tensor_file_add(&answer, "slot", TENSOR_I64, 2, choices, slot), 0);
    add_scalars("d_x", 2, tokens, d_x);
    judge();
    ck_assert_msg(verdict_diagnose(c, &g, &answer, profile, NULL, &v, err, sizeof err) == 0, "%s", err);
}

START_TEST(wrong_integers_are_named)
{
    const int64_t index[4] = {0, 1, 1, 0}, by_choice[4] = {0, -1, 0, -1}, by_token[4] = {0, 0, -1, -1};
    const int64_t neither[4] = {0, -1, -1, 0};
    profile = twin_profile_find("f32");
    take(op_find("layer.dispatch"), "T=2,d=1,K=2", "experts=2,capacity=1");
    memcpy(op_in(c, "x"), (const double[]){3, 5}, 2 * sizeof(double));
    memcpy(op_in_i64(c, "index"), index, sizeof index);
    memcpy(op_cot(c, "xe"), (const double[]){1, 2}, 2 * sizeof(double));
    ck_assert_int_eq(op_run(c), SMOE_OK);
    ck_assert_msg(verdict_golden_run(c, profile, &g, err, sizeof err) == 0, "%s", err);
    dispatch_answer((const double[]){3, 5}, by_choice, (const double[]){1, 2});
    ck_assert_msg(v.pass && v.matches == 0, "the right answer");
    dispatch_answer((const double[]){3, 3}, by_token, (const double[]){3, 0});
    ck_assert_msg(!v.pass && !find("slot")->pass, "other places are wrong");
    ck_assert_msg(v.matches == 1 && v.match[0].tells && strcmp(v.match[0].variant->name, "CapacityDrop/token") == 0,
                  "and known: served token by token");
    dispatch_answer((const double[]){3, 3}, neither, (const double[]){3, 0});
    ck_assert_msg(!v.pass && v.matches == 0, "the same with places of nobody's making has no name");
    dispatch_answer((const double[]){3, 5}, by_token, (const double[]){1, 2});
    ck_assert_msg(!v.pass && find("xe")->pass && v.matches == 0, "nor has a mixture of two");
    verdict_golden_clear(&g); /* two tokens alike, of whose gradient nothing is asked: the places alone tell */
    memcpy(op_in(c, "x"), (const double[]){3, 3}, 2 * sizeof(double));
    memset(op_cot(c, "xe"), 0, 2 * sizeof(double));
    ck_assert_int_eq(op_run(c), SMOE_OK);
    ck_assert_msg(verdict_golden_run(c, profile, &g, err, sizeof err) == 0, "%s", err);
    dispatch_answer((const double[]){3, 3}, by_token, (const double[]){0, 0});
    ck_assert(!v.pass && find("xe")->pass && find("d_x")->pass);
    ck_assert(v.matches == 1 && v.match[0].tells && strcmp(v.match[0].variant->name, "CapacityDrop/token") == 0);
}
END_TEST

START_TEST(integers_have_power_too)
{
    static bool exposed[TWIN_VARIANTS];
    size_t at = 0;
    profile = twin_profile_find("bf16");
    while (strcmp(twin_variants[at].op, "layer.dispatch") != 0 || strcmp(twin_variants[at].name, "CapacityDrop/token"))
        at++;
    take(op_find("layer.dispatch"), "T=2,d=1,K=2", "experts=2,capacity=1");
    memcpy(op_in_i64(c, "index"), (const int64_t[]){0, 1, 1, 0}, 4 * sizeof(int64_t));
    ck_assert_int_eq(op_run(c), SMOE_OK); /* tokens of 0 and no cotangent: the places alone tell */
    ck_assert_msg(verdict_golden_run(c, profile, &g, err, sizeof err) == 0, "%s", err);
    ck_assert_msg(verdict_power(c, &g, profile, exposed, err, sizeof err) == 0, "%s", err);
    ck_assert_msg(exposed[at], "places are compared as integers");
}
END_TEST

START_TEST(power_tells_what_would_be_seen)
{
    bool exposed[TWIN_VARIANTS] = {false};
    size_t at = 0;
    profile = twin_profile_find("f32");
    while (twin_variants[at].op && !(strcmp(twin_variants[at].op, "balance.switch") == 0 &&
                                     strcmp(twin_variants[at].name, "LblProbOverTK") == 0))
        at++;
    ck_assert_ptr_nonnull(twin_variants[at].op);
    balance_case();
    ck_assert_msg(verdict_power(c, &g, profile, exposed, err, sizeof err) == 0, "%s", err);
    ck_assert_msg(exposed[at], "1/2 instead of 1 is seen at f32");
    memset(exposed, 0, sizeof exposed);
    for (size_t i = 0; i < OP_TENSORS; i++) { /* a bound as wide as the value hides it */
        for (size_t e = 0; g.out[i].bound && e < g.out[i].count; e++) g.out[i].bound[e] = 10;
        for (size_t e = 0; g.grad[i].bound && e < g.grad[i].count; e++) g.grad[i].bound[e] = 10;
    }
    ck_assert_msg(verdict_power(c, &g, profile, exposed, err, sizeof err) == 0, "%s", err);
    ck_assert_msg(!exposed[at], "and not under a bound of 10");
}
END_TEST

/* LblGrad has the right loss and no gradient. */
START_TEST(a_gradient_alone_has_power)
{
    static bool exposed[TWIN_VARIANTS];
    const bool *seen = exposed_of(exposed, "balance.switch", "LblGrad");
    drawn_case("balance.switch", "T=4,N=4", "k=2");
    g.forward = true;
    ck_assert_msg(verdict_power(c, &g, profile, exposed, err, sizeof err) == 0, "%s", err);
    ck_assert_msg(!*seen && *exposed_of(exposed, "balance.switch", "LblProbOverTK"),
                  "not where gradients are not judged");
    g.forward = false;
    ck_assert_msg(verdict_power(c, &g, profile, exposed, err, sizeof err) == 0, "%s", err);
    ck_assert(*seen);
}
END_TEST

/* --- loops over pairs against the rule element by element ------------------------------------------------------ */

/* Drawn ratios: the edges of the bins among them, NaN, infinities. */
static double drawn_ratio(uint64_t *state)
{
    static const double edge[] = {0,    0, 0x1p-9, 0x1p-8, 0x1.8p-8, 0x1p-4, 0x1.8p-4, 0.25,     0.375, 0.5,
                                  0.75, 1, 1.25,   2,      3,        16,     17,       INFINITY, NAN};
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return edge[(*state >> 40) % (sizeof edge / sizeof *edge)];
}

/* By the words of verdict.h: 0, then up to 2^-8, 2^-4, 1/4, 1/2, 1, 2, 16, and beyond, where a NaN is. */
static size_t bin_by_hand(double x)
{
    if (isnan(x) || x > 16) return 8;
    return x <= 0 ? 0 : x <= 0x1p-8 ? 1 : x <= 0x1p-4 ? 2 : x <= 0.25 ? 3 : x <= 0.5 ? 4 : x <= 1 ? 5 : x <= 2 ? 6 : 7;
}

/* The first NaN, or the first of the largest ratios. */
static size_t worst_by_hand(const double *x, size_t n)
{
    size_t worst = 0;
    for (size_t i = 1; i < n; i++)
        if (!isnan(x[worst]) && (isnan(x[i]) || x[i] > x[worst])) worst = i;
    return worst;
}

enum { MANY = 3 * VERDICT_CHUNK };

/* Elements whose ratio is what was drawn: golden 1 or -1, the bound a power of two. */
static void elements_with(size_t n, const double *want, uint64_t *state, double *got, double *golden, double *bound)
{
    for (size_t i = 0; i < n; i++) {
        *state = *state * 6364136223846793005U + 1442695040888963407U;
        const int kind = (int)(*state >> 61);
        golden[i] = kind & 1 ? 1 : -1;
        bound[i] = isinf(want[i]) ? 0 : 0x1p-12;
        got[i] = golden[i] + (isinf(want[i]) ? 0x1p-20 : (kind & 2 ? -1 : 1) * want[i] * bound[i]);
        if (!isnan(want[i]) && want[i] <= 0 && kind & 4) { /* whatever it is, it is excused */
            got[i] = 1e300;
            bound[i] = INFINITY;
        }
    }
}

START_TEST(tallies_are_those_of_a_plain_loop)
{
    static double want[MANY], got[MANY], golden[MANY], bound[MANY], ratio[MANY];
    static const size_t sizes[] = {0, 1, 2, 3, 4, 5, 7, 8, 255, 256, 257, 300, 511, 700};
    uint64_t state = 1;
    for (size_t s = 0; s < (size_t)14 * 8; s++) {
        const size_t n = sizes[s % 14], first = 1000 * s;
        size_t bin[VERDICT_BINS] = {0}, outside = 0, vacuous = 0;
        for (size_t i = 0; i < n; i++) {
            want[i] = drawn_ratio(&state);
            if (s / 14 < 2 && !(want[i] <= 1)) want[i] = 0.375; /* nothing fails */
            if (s / 14 == 2 && isnan(want[i])) want[i] = 0;
        }
        elements_with(n, want, &state, got, golden, bound);
        for (size_t i = 0; i < n; i++) {
            bin[bin_by_hand(want[i])]++;
            outside += !(want[i] <= 1);
            vacuous += isinf(bound[i]) != 0;
            const double r = verdict_ratio(got[i], golden[i], bound[i]);
            ck_assert_msg(isnan(r) ? isnan(want[i]) : r == want[i], "%g became %g", want[i], r);
        }
        verdict_tally t = {0};
        verdict_tally_floats(&t, false, first, n, got, golden, bound, ratio);
        for (size_t i = 0; i < n; i++) ck_assert(isnan(want[i]) ? isnan(ratio[i]) : ratio[i] == want[i]);
        ck_assert_mem_eq(t.bin, bin, sizeof bin);
        ck_assert_uint_eq(t.outside, outside);
        ck_assert_uint_eq(t.vacuous, vacuous);
        ck_assert(t.any == (n > 0));
        if (n == 0) continue;
        const size_t at = worst_by_hand(want, n);
        ck_assert_msg(t.at == first + at, "%zu elements: the worst is %zu, not %zu", n, at, t.at - first);
        ck_assert(isnan(want[at]) ? isnan(t.ratio) && isnan(t.got) : t.ratio == want[at] && t.got == got[at]);
        ck_assert(t.golden == golden[at] && t.bound == bound[at]);
    }
}
END_TEST

START_TEST(tallies_of_pieces_are_those_of_the_whole)
{
    static double want[MANY], got[MANY], golden[MANY], bound[MANY], ratio[MANY], a[MANY], b[MANY], x[MANY];
    uint64_t state = 7;
    for (size_t s = 0; s < 40; s++) {
        const size_t n = 600, cut[4] = {0, 1 + s * 13 % 200, 300 + s * 7 % 200, n};
        for (size_t i = 0; i < n; i++) {
            want[i] = drawn_ratio(&state);
            if (s % 4 == 0 && isnan(want[i])) want[i] = 17;
            if (s % 4 == 1 && !(want[i] <= 1)) want[i] = 0;
        }
        elements_with(n, want, &state, got, golden, bound);
        verdict_tensor whole = {.count = n, .at = n}, pieces = whole;
        verdict_tally t = {0};
        memcpy(x, got, sizeof x);
        memcpy(a, golden, sizeof a);
        memcpy(b, bound, sizeof b);
        verdict_tally_floats(&t, false, 0, n, x, a, b, ratio);
        verdict_tally_add(&whole, &t);
        for (size_t k = 0; k < 3; k++) { /* the pieces in another order */
            const size_t p = (k + s) % 3, m = cut[p + 1] - cut[p];
            verdict_tally part = {0};
            memcpy(x, got + cut[p], m * sizeof *x);
            memcpy(a, golden + cut[p], m * sizeof *a);
            memcpy(b, bound + cut[p], m * sizeof *b);
            verdict_tally_floats(&part, false, cut[p], m, x, a, b, ratio);
            verdict_tally_add(&pieces, &part);
        }
        ck_assert(whole.at == worst_by_hand(want, n) && pieces.at == whole.at);
        ck_assert(whole.golden == golden[whole.at] && whole.bound == bound[whole.at]);
        ck_assert(pieces.golden == whole.golden && pieces.bound == whole.bound);
        ck_assert_mem_eq(&pieces.ratio, &whole.ratio, sizeof whole.ratio);
        ck_assert_mem_eq(&pieces.got, &whole.got, sizeof whole.got);
        ck_assert(pieces.outside == whole.outside && pieces.vacuous == whole.vacuous);
        ck_assert_mem_eq(pieces.bin, whole.bin, sizeof whole.bin);
        ck_assert_uint_eq(whole.outside, t.outside);
        ck_assert_mem_eq(whole.bin, t.bin, sizeof t.bin);
    }
}
END_TEST

START_TEST(exact_elements_are_compared_by_their_bits)
{
    double got[VERDICT_CHUNK] = {1, -0.0, 3, NAN, 5}, golden[VERDICT_CHUNK] = {1, 0, 3, NAN, 6}, ratio[VERDICT_CHUNK];
    verdict_tally t = {0};
    verdict_tally_floats(&t, true, 10, 5, got, golden, NULL, ratio);
    ck_assert(t.outside == 2 && t.vacuous == 0 && t.bin[0] == 3 && t.bin[VERDICT_BINS - 1] == 2);
    ck_assert(t.at == 11 && isinf(t.ratio) && t.golden == 0 && signbit(t.got) && t.bound == 0);
    const int64_t x[6] = {1, 2, 3, 4, 5, 6}, y[6] = {1, 2, 9, 4, 8, 6};
    verdict_tally u = {0};
    verdict_tally_integers(&u, 20, 6, x, y, ratio);
    ck_assert(u.any && u.outside == 2 && u.bin[0] == 4 && u.bin[VERDICT_BINS - 1] == 2);
    ck_assert(u.at == 22 && isinf(u.ratio) && u.got == 3 && u.golden == 9 && u.bound == 0);
    verdict_tally_integers(&u, 0, 2, x, y, ratio); /* equal: not worse than what was seen */
    ck_assert(u.at == 22 && u.outside == 2 && u.bin[0] == 6);
    verdict_tally_integers(&u, 30, 6, x, y, ratio); /* as bad, and after it */
    ck_assert(u.at == 22 && u.outside == 4 && u.bin[0] == 10 && u.bin[VERDICT_BINS - 1] == 4);
    verdict_tally_integers(&u, 5, 0, x, y, ratio); /* of nothing */
    ck_assert(u.at == 22 && u.outside == 4 && u.bin[0] == 10);
    verdict_tally_integers(&u, 4, 1, x + 4, y + 4, ratio); /* as bad, and before it */
    ck_assert(u.at == 4 && u.got == 5 && u.golden == 8);
    verdict_tally w = {0};
    verdict_tally_integers(&w, 3, 2, x, x, ratio);
    ck_assert(w.any && w.at == 3 && w.ratio == 0 && w.got == 1 && w.golden == 1);
    ck_assert(!verdict_tally_shows(&w) && verdict_tally_shows(&u));
    w.ratio = 0x1p-4;
    ck_assert(!verdict_tally_shows(&w));
    w.ratio = NAN;
    ck_assert(verdict_tally_shows(&w));
    w.any = false;
    ck_assert(!verdict_tally_shows(&w));
}
END_TEST

/* Tensors are judged by pieces of 2048 elements; here the last piece has 1, 452, or all of its elements. */
START_TEST(tensors_of_several_pieces_are_judged_to_their_last_element)
{
    static double x[4096];
    static int64_t n[4096];
    static const size_t sizes[] = {2048, 2049, 2500, 4096};
    for (size_t k = 0; k < 4; k++) {
        const size_t N = sizes[k];
        char dims[20];
        snprintf(dims, sizeof dims, "T=1,N=%zu", N);
        op_case_free(c);
        verdict_golden_clear(&g);
        verdict_case_clear(&v);
        tensor_file_clear(&answer);
        c = op_case_new(&toy, dims, "", err, sizeof err);
        ck_assert_msg(c != NULL, "%s", err);
        for (size_t i = 0; i < N; i++) x[i] = (double)(n[i] = (int64_t)i);
        g.out[WEIGHT] = floats(2, the_weight, 0);
        g.out[INDEX] = whole(2, n);
        g.out[LOAD] = whole(N, n);
        g.out[HALF] = floats(N, x, 0);
        g.out[S] = floats(N, x, 0);
        g.grad[0] = floats(N, x, 0.25);
        g.score[INDEX] = floats(N, x, INFINITY);
        n[N - 1] = -1;
        x[N - 1] += 1;
        add_doubles("weight", &c->out[WEIGHT], the_weight);
        add_integers("index", &c->out[INDEX], n);
        add_integers("load", &c->out[LOAD], n);
        add_doubles("half", &c->out[HALF], x);
        add_doubles("d_r", &c->grad[0], x);
        judge();
        static const char *const wrong[] = {"load", "half", "d_r"};
        for (size_t i = 0; i < 3; i++) {
            const verdict_tensor *t = find(wrong[i]);
            ck_assert_msg(!t->pass && t->outside == 1 && t->at == N - 1, "%s of %zu", wrong[i], N);
            ck_assert(t->golden == (double)(N - 1) && t->got == (i == 0 ? -1 : (double)N));
            ck_assert(t->bin[0] == N - 1 && t->bin[i == 2 ? 7 : 8] == 1); /* 1 / 0.25 = 4 is up to 16 */
            size_t all = 0;
            for (size_t b = 0; b < VERDICT_BINS; b++) all += t->bin[b];
            ck_assert_uint_eq(all, N);
        }
    }
}
END_TEST

/* Six elements from `first` on, of golden 1 and bound 1: 3 and a NaN where it is said, else 1. */
static void tally_six(verdict_tally *t, size_t first, size_t three, size_t nan)
{
    double got[VERDICT_CHUNK], golden[VERDICT_CHUNK], bound[VERDICT_CHUNK], ratio[VERDICT_CHUNK];
    for (size_t i = 0; i < 6; i++) golden[i] = bound[i] = 1;
    for (size_t i = 0; i < 6; i++) got[i] = i == three ? 3 : i >= nan ? NAN : 1;
    verdict_tally_floats(t, false, first, 6, got, golden, bound, ratio);
}

/* Of equally bad elements the first is the worst, whichever came first. */
START_TEST(of_equals_the_first_is_the_worst)
{
    verdict_tally t = {0};
    tally_six(&t, 10, 2, 6);
    ck_assert(t.at == 12 && t.ratio == 2 && t.outside == 1);
    tally_six(&t, 9, 5, 6); /* element 14 */
    ck_assert(t.at == 12 && t.outside == 2);
    tally_six(&t, 6, 5, 6); /* element 11 */
    ck_assert(t.at == 11 && t.outside == 3);
    tally_six(&t, 20, 0, 4); /* elements 24 and 25 are NaN, which is worse */
    ck_assert(t.at == 24 && isnan(t.ratio) && t.outside == 6);
    tally_six(&t, 19, 0, 4);
    ck_assert(t.at == 23 && t.outside == 9);
    tally_six(&t, 21, 0, 4);
    ck_assert(t.at == 23 && t.outside == 12);
}
END_TEST

/* A cell has the worst level of its elements; element (i, j) of rows x cols lies in cell (i R / rows, j C / cols). */
START_TEST(pictures_are_those_of_a_plain_loop)
{
    static const struct {
        size_t rank, dim[3];
    } shape[] = {{0, {0}},      {1, {5}},     {1, {100}},   {1, {47}},     {1, {48}},      {1, {49}},
                 {2, {3, 100}}, {2, {48, 2}}, {2, {49, 2}}, {2, {100, 3}}, {3, {5, 7, 9}}, {3, {2, 1, 200}}};
    static const unsigned char level[VERDICT_BINS] = {0, 0, 0, 1, 1, 2, 3, 4, 5};
    static double ratio[2000];
    uint64_t state = 3;
    for (size_t s = 0; s < (size_t)12 * 4; s++) {
        verdict_tensor t = {.rank = shape[s % 12].rank, .count = 1};
        memcpy(t.dim, shape[s % 12].dim, sizeof shape->dim);
        for (size_t i = 0; i < t.rank; i++) t.count *= t.dim[i];
        const size_t rows = t.rank > 1 ? t.dim[0] : 1, cols = t.count / rows, R = rows < 48 ? rows : 48,
                     C = cols < 48 ? cols : 48;
        unsigned char want[48 * 48] = {0};
        for (size_t i = 0; i < t.count; i++) {
            ratio[i] = drawn_ratio(&state);
            if (s >= 24 && !(ratio[i] <= 1)) ratio[i] = 0;
            unsigned char *cell = &want[i / cols * R / rows * C + i % cols * C / cols];
            if (level[bin_by_hand(ratio[i])] > *cell) *cell = level[bin_by_hand(ratio[i])];
        }
        const size_t cut = t.count * (1 + s % 3) / 4;
        verdict_tally_heat(&t, cut, t.count - cut, ratio + cut);
        verdict_tally_heat(&t, 0, cut, ratio);
        ck_assert(t.heat_rows == R && t.heat_cols == C);
        ck_assert_mem_eq(t.heat, want, R * C);
        free(t.heat);
    }
    verdict_tensor none = {.rank = 2, .dim = {0, 5}};
    verdict_tally_heat(&none, 0, 0, ratio);
    ck_assert_ptr_null(none.heat);
}
END_TEST

/* Each scalar value at an edge of what UTF-8 and XML allow, and what is no such value. */
START_TEST(edges_of_utf8_are_kept_or_replaced)
{
    static const char *const kept[] = {"\t",
                                       "\n",
                                       " ",
                                       "~",
                                       "\xc2\xa0",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xe1\x80\x80",
                                       "\xec\xbf\xbf",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbe\xbf",
                                       "\xef\xbf\xbd",
                                       "\xf0\x90\x80\x80",
                                       "\xf1\x80\x80\x80",
                                       "\xf3\xbf\xbf\xbf",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x01",
                                      "\x08",
                                      "\x0b",
                                      "\x1f",
                                      "\x7f",
                                      "\x80",
                                      "\xbf",
                                      "\xc1\xbf",
                                      "\xc2\x80",
                                      "\xc2\x9f",
                                      "\xc2",
                                      "\xdf\x7f",
                                      "\xe0\x9f\xbf",
                                      "\xe1\x80",
                                      "\xe1\x80\xc0",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xef\xbf\xbe",
                                      "\xef\xbf\xbf",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf0\x90\x80",
                                      "\xf1\x80\x80\x20",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff"};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        char *s = verdict_say("a%sz", kept[i]), want[16];
        snprintf(want, sizeof want, "a%sz", kept[i]);
        ck_assert_msg(strcmp(s, want) == 0, "kept[%zu] became '%s'", i, s);
        free(s);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *s = verdict_say("%s", bad[i]);
        ck_assert_uint_eq(strlen(s), strlen(bad[i]));
        ck_assert_msg(s[0] == '?', "bad[%zu] is '%s'", i, s);
        for (char *p = s; *p; p++)
            ck_assert_msg(*p == '?' || *p == ' ' || *p == '\x7f' - 0 || *p == '?', "bad[%zu]: '%s'", i, s);
        free(s);
    }
}
END_TEST

/* --- decisions against all of them ------------------------------------------------------------------------------ */

/* May i stand before u?  Scores and bounds are small integers here, so that the sum is exact. */
static bool before_by_hand(const double *score, const double *bound, size_t i, size_t u)
{
    if (score[i] == score[u] && bound[i] == 0 && bound[u] == 0) return i < u;
    return score[i] + bound[i] >= score[u] - bound[u];
}

/* Every ordered choice of 2 out of 4 is admissible iff nobody that stands behind an expert, or was left out, is ahead of it for
 * certain; a choice is ambiguous iff somebody behind an expert may be ahead of it. */
START_TEST(all_choices_of_two_out_of_four)
{
    uint64_t state = 5;
    for (size_t s = 0; s < 200; s++) {
        double score[8], bound[8];
        for (size_t i = 0; i < 8; i++) {
            state = state * 6364136223846793005U + 1442695040888963407U;
            score[i] = (double)(state >> 62);
            bound[i] = (state >> 40 & 3) == 0 ? 1 : 0;
        }
        golden_tensor g8 = {8, score, bound, NULL};
        for (int64_t a = 0; a < 4; a++)
            for (int64_t b = 0; b < 4; b++) {
                const int64_t index[2] = {a, b};
                int64_t taken = -1, left = -1;
                if (a == b) continue;
                for (size_t row = 0; row < 2; row++) {
                    const double *x = score + 4 * row, *r = bound + 4 * row;
                    bool fine = true, open = false;
                    for (int64_t u = 0; u < 4; u++) {
                        if (u != a) fine = fine && before_by_hand(x, r, (size_t)a, (size_t)u);
                        if (u != a) open = open || before_by_hand(x, r, (size_t)u, (size_t)a);
                        if (u != a && u != b) fine = fine && before_by_hand(x, r, (size_t)b, (size_t)u);
                        if (u != a && u != b) open = open || before_by_hand(x, r, (size_t)u, (size_t)b);
                    }
                    ck_assert(verdict_admissible(&g8, row, 4, 2, index, &taken, &left) == fine);
                    ck_assert(verdict_ambiguous(&g8, row, 4, 2, index) == open);
                    if (!fine)
                        ck_assert((taken == a || taken == b) && left != taken &&
                                  !before_by_hand(x, r, (size_t)taken, (size_t)left));
                    if (!fine && taken == b) ck_assert(left != a);
                }
            }
        int64_t index[4];
        verdict_choose(score, 4, 4, index); /* the larger first, and of equals the lower */
        for (size_t j = 0; j + 1 < 4; j++) {
            const double x = score[index[j]], y = score[index[j + 1]];
            ck_assert(x > y || (x == y && index[j] < index[j + 1]));
        }
        for (size_t j = 0; j < 4; j++) ck_assert_msg(index[j] >= 0 && index[j] < 4, "what follows is another token's");
        int64_t two[4] = {-7, -7, -7, -7};
        verdict_choose(score, 4, 2, two);
        ck_assert_mem_eq(two, index, 2 * sizeof *two);
        ck_assert_msg(two[2] == -7 && two[3] == -7, "two are two");
    }
}
END_TEST
/* --- sentences, word by word ------------------------------------------------------------------------------------- */

static void details_are(size_t n, const char *const *want)
{
    for (size_t i = 0; i < v.details || i < n; i++)
        ck_assert_msg(i < n && i < v.details && strcmp(v.detail[i], want[i]) == 0, "sentence %zu is\n%s\nexpected\n%s",
                      i, i < v.details ? v.detail[i] : "-", i < n ? want[i] : "-");
}

START_TEST(the_worst_element_is_told_with_its_inputs)
{
    double w[4] = {0.75, 0.25, 0.5, 0.75}, d[8] = {1, 2, 3, 4, 5, 6, 7, 8.5};
    answer_without("weight d_r load");
    add_doubles("weight", &c->out[WEIGHT], w);
    add_doubles("d_r", &c->grad[0], d);
    add_integers("load", &c->out[LOAD], (const int64_t[]){1, 1, 3, 2});
    judge();
    /* 0.25 / 2^-10 = 256; 0.5 / 2^-10 = 512: less bad than load, which is off where nothing is allowed */
    static const char *const want[] = {
        "weight[1,1] = 0.75, golden 0.5, bound 0.000977: off by 0.25, 256 times the bound (1 of 4 elements fail)",
        "load[2] = 3, expected exactly 1 (2 of 4 elements differ)",
        "d_r[1,3] = 8.5, golden 8, bound 0.000977: off by 0.5, 512 times the bound (1 of 8 elements fail)",
    };
    details_are(3, want); /* load is [N]: no input has this axis first */
    ck_assert_str_eq(v.t[v.worst].name, "load");
    verdict_case_clear(&v);
    tensor_file_clear(&answer);
    answer_without("weight d_r");
    add_doubles("weight", &c->out[WEIGHT], w);
    add_doubles("d_r", &c->grad[0], d);
    judge();
    static const char *const with_inputs[] = {
        "weight[1,1] = 0.75, golden 0.5, bound 0.000977: off by 0.25, 256 times the bound (1 of 4 elements fail)",
        "d_r[1,3] = 8.5, golden 8, bound 0.000977: off by 0.5, 512 times the bound (1 of 8 elements fail)",
        "    input r[1,...] = -1 4 0 2",
    };
    details_are(3, with_inputs);
    ck_assert_str_eq(v.sizes, "T=2 N=4 K=2");
    ck_assert_str_eq(v.parameters, "k=2");
    ck_assert_str_eq(v.t[v.worst].name, "d_r");
    ck_assert(find("d_r")->bin[0] == 7 && find("d_r")->bin[8] == 1 && find("weight")->bin[0] == 3);
    ck_assert(find("d_r")->heat && find("d_r")->heat[7] == 5 && !find("load")->heat && !find("half")->heat);
}
END_TEST

/* Every kind of input: of rank 1, indices, one without the axis, one with ten elements a row. */
START_TEST(inputs_that_share_the_axis_are_told)
{
    static const op_tensor in[] = {
        {"r", "T,N", OP_INPUT, OP_DIFF, ""},    {"mask", "T", OP_INPUT, 0, ""}, {"wr", "N,d", OP_INPUT, 0, ""},
        {"none", "T,M", OP_INPUT, 0, ""}, /* of which there are 0: nothing is told */
        {"index", "T,K", OP_INPUT, OP_I64, ""}, {NULL, NULL, 0, 0, NULL}};
    static const op_tensor out[] = {
        {"y", "T", OP_BOUNDED, 0, ""}, {"loss", "", OP_BOUNDED, OP_DIFF, ""}, {NULL, NULL, 0, 0, NULL}};
    op_record wide = toy;
    wide.in = in;
    wide.out = out;
    take(&wide, "T=3,N=9,d=2,K=2,M=0", "");
    for (size_t i = 0; i < 27; i++) c->in[0].f64[i] = (double)i / 2;
    memcpy(c->in[1].f64, (const double[]){0.25, 0.5, 1e-9}, 3 * sizeof(double));
    g.out[0] = floats(3, (const double[]){1, 2, 3}, 0.5);
    g.out[1] = floats(1, (const double[]){4}, 0.5);
    g.grad[0] = floats(27, c->in[0].f64, 0.5);
    add_doubles("y", &c->out[0], (const double[]){1, 2, 9});
    add_doubles("loss", &c->out[1], (const double[]){4.75});
    add_doubles("d_r", &c->grad[0], c->in[0].f64);
    judge();
    static const char *const want[] = {
        "y[2] = 9, golden 3, bound 0.5: off by 6, 12 times the bound (1 of 3 elements fail)",
        "    input r[2,...] = 9 9.5 10 10.5 11 11.5 12 12.5 ...",
        "    input mask[2] = 1e-09",
        "loss = 4.75, golden 4, bound 0.5: off by 0.75, 1.5 times the bound (1 of 1 elements fail)",
    };
    details_are(4, want);
    verdict_case_clear(&v);
    tensor_file_clear(&answer);
    add_doubles("y", &c->out[0], (const double[]){1, 2, 3});
    add_doubles("loss", &c->out[1], (const double[]){NAN});
    add_doubles("d_r", &c->grad[0], c->in[0].f64);
    judge();
    static const char *const scalar[] = {
        "loss = nan, golden 4, bound 0.5: off by nan, nan times the bound (1 of 1 elements fail)"};
    details_are(1, scalar);
    ck_assert_str_eq(v.t[v.worst].name, "loss");
}
END_TEST

/* Of a case that stays in its files the inputs are read out of its prompt; one that is optional is all ones where it is not there. */
START_TEST(inputs_are_told_out_of_a_prompt)
{
    static const op_tensor in[] = {{"r", "T,N", OP_INPUT, OP_DIFF, ""},
                                   {"mask", "T", OP_INPUT, OP_OPTIONAL, ""},
                                   {"noise", "T,N", OP_INPUT, OP_OPTIONAL, ""},
                                   {NULL, NULL, 0, 0, NULL}};
    static const op_tensor out[] = {{"y", "T", OP_BOUNDED, 0, ""}, {NULL, NULL, 0, 0, NULL}};
    static const char *const inputs[] = {"r", "mask", "noise"};
    op_record masked = toy;
    masked.in = in;
    masked.out = out;
    take(&masked, "T=3,N=2", "");
    for (size_t way = 0; way < 5;
         way++) { /* the prompt has r; and the mask; and the noise; and not r; and r, cut off meanwhile */
        char path[] = "/tmp/check_verdict.XXXXXX";
        const int descriptor = mkstemp(path);
        tensor_file f = {0};
        tensor_view prompt;
        const double x[] = {5, 6, 7, 8, 9, 10}, mask[] = {1, 1, 0.5}, noise[] = {1, 1, 1, 1, 1, 2};
        const double *const value[] = {x, mask, noise};
        ck_assert(descriptor >= 0 && close(descriptor) == 0);
        for (size_t i = way == 3; i <= way % 4 && i < 3; i++)
            ck_assert_int_eq(tensor_file_add(&f, inputs[i], TENSOR_F64, c->in[i].rank, c->in[i].dim, value[i]), 0);
        ck_assert_msg(tensor_file_write(path, &f, err, sizeof err) == 0 &&
                          tensor_view_open(path, &prompt, err, sizeof err) == 0,
                      "%s", err);
        if (way == 4) ck_assert_int_eq(truncate(path, (off_t)prompt.file[0].size - 8), 0);
        add_doubles("y", &c->out[0], (const double[]){1, 2, 9});
        add_doubles("d_r", &c->grad[0], x);
        verdict_begin(c, "case", &answer, profile, true, &v);
        verdict_tensor *t = &v.t[0];
        t->outside = 1;
        t->at = 2;
        t->ratio = 12;
        t->got = 9;
        t->golden = 3;
        t->bound = 0.5;
        verdict_end(c, &answer, &prompt, &v);
        static const char *const told[] = {
            "y[2] = 9, golden 3, bound 0.5: off by 6, 12 times the bound (1 of 3 elements fail)",
            "    input r[2,...] = 9 10", "    input mask[2] = 0.5", "    input noise[2,...] = 1 2"};
        static const char *const not_there[] = {
            "y[2] = 9, golden 3, bound 0.5: off by 6, 12 times the bound (1 of 3 elements fail)",
            "    input r[2,...] = 1 1", "    input mask[2] = 0.5", "    input noise[2,...] = 1 2"};
        details_are(way < 3 ? 2 + way : way == 3 ? 4 : 1, way == 3 ? not_there : told);
        verdict_case_clear(&v);
        tensor_file_clear(&answer);
        tensor_file_clear(&f);
        tensor_view_close(&prompt);
        unlink(path);
    }
}
END_TEST

START_TEST(malformed_tokens_are_told_three_at_most)
{
    take(&toy, "T=6,N=3", "");
    const int64_t right[12] = {0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1}, wrong[12] = {0, 1, 3, 1, 0, -1, 2, 2, 1, 0, 7, 8};
    double zeros[18] = {0};
    g.out[WEIGHT] = floats(12, zeros, 1);
    g.out[INDEX] = whole(12, right);
    g.out[LOAD] = whole(3, right);
    g.out[HALF] = floats(3, zeros, 0);
    g.grad[0] = floats(18, zeros, 1);
    g.score[INDEX] = floats(18, zeros, 1);
    add_doubles("weight", &c->out[WEIGHT], zeros);
    add_integers("index", &c->out[INDEX], wrong);
    add_integers("load", &c->out[LOAD], right);
    add_doubles("half", &c->out[HALF], zeros);
    add_doubles("d_r", &c->grad[0], zeros);
    judge();
    static const char *const want[] = {
        "index: token 1 chose (3 1), expected 2 different experts out of 0..2",
        "index: token 2 chose (0 -1), expected 2 different experts out of 0..2",
        "index: token 3 chose (2 2), expected 2 different experts out of 0..2",
        "index: and 1 more such tokens",
    };
    details_are(4, want);
    ck_assert(v.differ == 5 && v.inadmissible == 4 && find("index")->outside == 4 && !v.replayed && v.tokens == 6 &&
              v.ambiguous == 6);
    ck_assert_mem_eq(c->out[INDEX].i64, right, sizeof right);
    tensor_file_clear(&answer);
    verdict_case_clear(&v);
    for (size_t i = 0; i < 12; i++)
        zeros[i] = 1; /* at the bound: it passes, and is no worse than a choice that fails */
    add_doubles("weight", &c->out[WEIGHT], zeros);
    add_integers("index", &c->out[INDEX], wrong);
    add_integers("load", &c->out[LOAD], right);
    add_doubles("half", &c->out[HALF], (const double[]){0, 0, 0});
    add_doubles("d_r", &c->grad[0], (const double[18]){0});
    judge();
    ck_assert(find("weight")->pass && find("weight")->ratio == 1 && !find("index")->pass);
    ck_assert_str_eq(v.t[v.worst].name, "index");
    for (size_t i = 0; i < answer.tensors; i++)
        if (strcmp(answer.t[i].name, "weight") == 0) ((double *)answer.t[i].data)[5] = 1.5;
    verdict_case_clear(&v);
    judge(); /* beyond the bound it is worse than a choice, which has no ratio */
    ck_assert(!find("weight")->pass && find("weight")->ratio == 1.5 && !find("index")->pass);
    ck_assert_str_eq(v.t[v.worst].name, "weight");
}
END_TEST

/* In a process of its own: what it says on standard error, and its status. */
static int end_of(void (*what)(void), char said[100])
{
    int ends[2], status;
    ck_assert_int_eq(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        what();
        _exit(0);
    }
    close(ends[1]);
    const ssize_t n = read(ends[0], said, 99);
    close(ends[0]);
    said[n > 0 ? n : 0] = '\0';
    ck_assert(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void too_many_numbers(void) { free(verdict_allocate(SIZE_MAX / 4, 8)); }

static void too_many_sentences(void)
{
    v.details = SIZE_MAX / 16;
    verdict_detail(&v, NULL);
}

static void too_many_matches(void)
{
    v.matches = SIZE_MAX / 48;
    diagnose_add(&v, (verdict_match){NULL, 0, false});
}

/* A text that is not there; a disk that is full when it is written to, and one that shows it when it is closed. */
static void no_text(void)
{
    char *text, *none = NULL;
    size_t n;
    verdict_stream_end(verdict_stream(&text, &n), &none);
}

static void lost_on_the_way(void)
{
    FILE *f = fopen("/dev/full", "w");
    char *text = err;
    if (!f || setvbuf(f, NULL, _IONBF, 0) != 0) return;
    fputs("x", f);
    verdict_stream_end(f, &text);
}

static void lost_at_the_end(void)
{
    FILE *f = fopen("/dev/full", "w");
    char *text = err;
    if (!f) return;
    fputs("x", f);
    verdict_stream_end(f, &text);
}

/* Each of these three ends the process. */
static void all_end(void (*const what[3])(void))
{
    for (size_t i = 0; i < 3; i++) {
        char said[100];
        ck_assert_int_eq(end_of(what[i], said), 3);
        ck_assert_str_eq(said, "smoeref: out of memory\n");
    }
}

START_TEST(a_text_that_is_lost_ends_the_process)
{
    static void (*const what[])(void) = {no_text, lost_on_the_way, lost_at_the_end};
    all_end(what);
}
END_TEST

/* Under the sanitizers and under Valgrind to ask for so much is a mistake. */
START_TEST(out_of_memory_ends_the_process)
{
    static void (*const what[])(void) = {too_many_numbers, too_many_sentences, too_many_matches};
    if (SANITIZED || is_preloaded("libasan") || is_preloaded("vgpreload")) return;
    all_end(what);
}
END_TEST

/* Three of four: one named twice, wherever, is malformed. */
START_TEST(a_choice_names_an_expert_once)
{
    static const struct {
        int64_t index[3];
        bool fine;
    } row[] = {{{2, 1, 0}, true},  {{0, 1, 1}, false}, {{1, 1, 0}, false},
               {{0, 1, 0}, false}, {{1, 0, 3}, true},  {{3, 3, 3}, false}};
    static const double zeros[4];
    const int64_t golden[3] = {0, 1, 2};
    op_record bare = toy;
    static const op_tensor in[] = {{"r", "T,N", OP_INPUT, 0, ""}, {NULL, NULL, 0, 0, NULL}};
    static const op_tensor out[] = {{"index", "T,K", OP_DECISION, OP_I64, ""}, {NULL, NULL, 0, 0, NULL}};
    bare.in = in;
    bare.out = out;
    take(&bare, "T=1,N=4", "k=3");
    g.out[0] = whole(3, golden);
    g.score[0] = floats(4, zeros, 1);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char want[100];
        verdict_case_clear(&v);
        tensor_file_clear(&answer);
        add_integers("index", &c->out[0], row[i].index);
        const int status = verdict_judge(c, "case", &g, &answer, profile, &v, err, sizeof err);
        snprintf(want, sizeof want, "index: token 0 chose (%d %d %d), expected 3 different experts out of 0..3",
                 (int)row[i].index[0], (int)row[i].index[1], (int)row[i].index[2]);
        const char *const one[] = {want};
        ck_assert_msg(status == (row[i].fine ? -1 : 0), "it has no twin that would replay it");
        if (!row[i].fine) details_are(1, one);
    }
}
END_TEST

/* One of two choices names an expert twice: nothing is replayed, and the case has both as golden has them. */
START_TEST(of_two_choices_both_are_golden_where_one_is_malformed)
{
    static const double zeros[4];
    static const op_tensor in[] = {{"r", "T,N", OP_INPUT, 0, ""}, {NULL, NULL, 0, 0, NULL}};
    static const op_tensor out[] = {
        {"index", "T,K", OP_DECISION, OP_I64, ""}, {"label", "T,K", OP_DECISION, OP_I64, ""}, {NULL, NULL, 0, 0, NULL}};
    const int64_t golden[2] = {0, 1}, other[2] = {2, 3}, twice[2] = {1, 1};
    op_record two = toy;
    two.in = in;
    two.out = out;
    take(&two, "T=1,N=4", "k=2");
    for (size_t i = 0; i < 2; i++) {
        g.out[i] = whole(2, golden);
        g.score[i] = floats(4, zeros, 1);
    }
    for (int which = 0; which < 2; which++) {
        verdict_case_clear(&v);
        tensor_file_clear(&answer);
        add_integers("index", &c->out[0], which == 0 ? twice : other);
        add_integers("label", &c->out[1], which == 1 ? twice : other);
        judge();
        ck_assert(!v.pass && !v.replayed && v.inadmissible == 1 && v.differ == 2 && v.tokens == 2);
        for (size_t i = 0; i < 2; i++) ck_assert_mem_eq(c->out[i].i64, golden, sizeof golden);
    }
}
END_TEST

/* Where an operation has no experts none can be chosen. */
START_TEST(without_experts_no_choice_is_formed)
{
    static const op_tensor in[] = {
        {"r", "T,M", OP_INPUT, 0, ""}, {"x", "A", OP_INPUT, 0, ""}, {NULL, NULL, 0, 0, NULL}};
    static const op_tensor out[] = {{"index", "T,A", OP_DECISION, OP_I64, ""}, {NULL, NULL, 0, 0, NULL}};
    const int64_t golden[2] = {1, 1}, chosen[2] = {0, 0};
    op_record bare = toy;
    bare.in = in;
    bare.out = out;
    bare.param = NULL;
    take(&bare, "T=2,M=2,A=1", "");
    g.out[0] = whole(2, golden);
    g.score[0] = floats(0, NULL, 0);
    add_integers("index", &c->out[0], chosen);
    judge();
    static const char *const want[] = {"index: token 0 chose (0), expected 1 different experts out of 0..0",
                                       "index: token 1 chose (0), expected 1 different experts out of 0..0"};
    details_are(2, want);
    ck_assert(!v.pass && v.inadmissible == 2 && v.tokens == 2 && v.ambiguous == 0);
}
END_TEST

/* gate.weights, five tokens with two experts whose scores are 3 and 1: the second cannot win. */
START_TEST(inadmissible_tokens_are_told_three_at_most)
{
    const double r[10] = {3, 1, 3, 1, 3, 1, 3, 1, 3, 1};
    const int64_t loser[5] = {1, 1, 1, 1, 0};
    const size_t dim[] = {5, 1}, r_dim[] = {5, 2};
    take(op_find("gate.weights"), "T=5,N=2", "k=1");
    memcpy(op_in(c, "r"), r, sizeof r);
    ck_assert_int_eq(op_run(c), SMOE_OK);
    ck_assert_msg(verdict_golden_run(c, profile, &g, err, sizeof err) == 0, "%s", err);
    ck_assert_int_eq(tensor_file_add(&answer, "index", TENSOR_I64, 2, dim, loser), 0);
    add_scalars("weight", 2, dim, (const double[]){1, 1, 1, 1, 1});
    add_scalars("d_r", 2, r_dim, (const double[10]){0});
    judge();
    static const char *const want[] = {
        "index: token 0 chose (1), golden (0): expert 1 (score 1 +- 0) was preferred to expert 0 (score 3 +- 0); it is "
        "behind by 2, the bounds excuse 0",
        "index: token 1 chose (1), golden (0): expert 1 (score 1 +- 0) was preferred to expert 0 (score 3 +- 0); it is "
        "behind by 2, the bounds excuse 0",
        "index: token 2 chose (1), golden (0): expert 1 (score 1 +- 0) was preferred to expert 0 (score 3 +- 0); it is "
        "behind by 2, the bounds excuse 0",
        "index: and 1 more such tokens",
    };
    details_are(4, want);
    ck_assert(v.tokens == 5 && v.replayed && v.differ == 4 && v.inadmissible == 4 && v.ties == 0 && v.ambiguous == 0 &&
              find("index")->outside == 4);
    ck_assert(find("weight")->pass && find("d_r")->pass && !v.pass);
}
END_TEST

/* gate.weights, of 100 experts the first 64; of such a long choice 159 characters are shown. */
START_TEST(long_choices_are_cut)
{
    int64_t wrong[64];
    char golden[300] = "(", want[700];
    take(op_find("gate.weights"), "T=1,N=100", "k=64");
    for (size_t i = 0; i < 100; i++) op_in(c, "r")[i] = 100 - (double)i;
    ck_assert_int_eq(op_run(c), SMOE_OK);
    ck_assert_msg(verdict_golden_run(c, profile, &g, err, sizeof err) == 0, "%s", err);
    for (size_t j = 0, at = 1; j < 64; j++) at += (size_t)sprintf(golden + at, "%s%zu", j ? " " : "", j);
    for (int i = 0; i < 2; i++) { /* the first two are one and the same; they are exchanged */
        const size_t dim[] = {1, 64}, r_dim[] = {1, 100};
        static const double zeros[100];
        char got[300] = "(";
        for (size_t j = 0, at = 1; j < 64; j++) {
            wrong[j] = j == 0 ? 1 : j == 1 ? 1 - i : (int64_t)j;
            at += (size_t)sprintf(got + at, "%s%d", j ? " " : "", (int)wrong[j]);
        }
        verdict_case_clear(&v);
        tensor_file_clear(&answer);
        ck_assert_int_eq(tensor_file_add(&answer, "index", TENSOR_I64, 2, dim, wrong), 0);
        add_scalars("weight", 2, dim, zeros);
        add_scalars("d_r", 2, r_dim, zeros);
        judge();
        if (i == 0)
            snprintf(want, sizeof want, "index: token 0 chose %.159s, expected 64 different experts out of 0..99", got);
        else
            snprintf(want, sizeof want,
                     "index: token 0 chose %.159s, golden %.159s: expert 1 (score 99 +- 0) stands before expert 0 "
                     "(score 100 +- 0); it is behind by 1, the bounds excuse 0",
                     got, golden);
        ck_assert_msg(strcmp(v.detail[0], want) == 0, "%s\n%s", v.detail[0], want);
    }
}
END_TEST

/* Two scores far below the largest: a softmax is 0 for both in float32, exp(-200), and not in float64. */
START_TEST(an_underflow_of_the_softmax_is_told)
{
    for (int i = 0; i < 3; i++) {
        const double r[3] = {0, i == 2 ? -1 : -200, i == 2 ? -2 : -201};
        const int64_t chosen[2] = {0, 2};
        const size_t dim[] = {1, 2}, r_dim[] = {1, 3};
        profile = twin_profile_find(i == 1 ? "f64" : "f32");
        op_case_free(c);
        verdict_golden_clear(&g);
        tensor_file_clear(&answer);
        verdict_case_clear(&v);
        c = op_case_new(op_find("gate.weights"), "T=1,N=3", "k=2", err, sizeof err);
        ck_assert_msg(c != NULL, "%s", err);
        memcpy(op_in(c, "r"), r, sizeof r);
        ck_assert_int_eq(op_run(c), SMOE_OK);
        ck_assert_msg(verdict_golden_run(c, profile, &g, err, sizeof err) == 0, "%s", err);
        ck_assert_int_eq(tensor_file_add(&answer, "index", TENSOR_I64, 2, dim, chosen), 0);
        add_scalars("weight", 2, dim, (const double[]){1 / (1 + exp(r[2])), exp(r[2]) / (1 + exp(r[2]))});
        add_scalars("d_r", 2, r_dim, (const double[3]){0});
        judge();
        ck_assert(v.inadmissible == 1 && says("index: token 0 chose (0 2), golden (0 1): expert 2"));
        ck_assert(
            says("index: a softmax of these scores is 0 in f32 for both experts: choose on the scores themselves") ==
            (i == 0));
        ck_assert_uint_eq(v.details, i == 0 ? 2 : 1);
    }
}
END_TEST

START_TEST(numbers_of_a_narrower_format_are_noticed)
{
    double d[8];
    for (int i = 0; i < 4; i++) { /* right but for one element; which is what */
        memcpy(d, the_gradient, sizeof d);
        for (size_t e = 0; e < 8; e++) g.grad[0].value[e] = the_gradient[e] + (i == 1 ? 0 : 0x1p-40);
        d[3] = i == 2 ? 0.1 : i == 3 ? NAN : 4.5;
        tensor_file_clear(&answer);
        verdict_case_clear(&v);
        answer_without("d_r");
        add_doubles("d_r", &c->grad[0], d);
        judge();
        ck_assert_msg(!v.pass && v.narrow == (i == 0 || i == 3), "case %d", i);
    }
    profile = twin_profile_find("f32");
    verdict_case_clear(&v);
    judge();
    ck_assert(!v.pass && !v.narrow);
}
END_TEST

START_TEST(what_the_dtype_would_be_judged_as_is_said)
{
    static const struct {
        tensor_dtype t;
        const char *name, *said;
    } row[] = {{TENSOR_F32, "F32", "f32"}, {TENSOR_BF16, "BF16", "bf16"}, {TENSOR_F16, "F16", "f16"}};
    static const unsigned char bytes[32];
    for (size_t i = 0; i < 3; i++) {
        char want[160];
        answer_without("weight");
        ck_assert_int_eq(tensor_file_add(&answer, "weight", row[i].t, 2, c->out[WEIGHT].dim, bytes), 0);
        judge();
        snprintf(want, sizeof want,
                 "'weight' is %s, which cannot hold the precision f64 that was promised (--precision %s judges it as "
                 "what it is)",
                 row[i].name, row[i].said);
        const char *const one[] = {want};
        details_are(1, one);
        ck_assert(v.worst < v.tensors && strcmp(v.t[v.worst].name, "weight") == 0 && !v.t[v.worst].judged);
        verdict_case_clear(&v);
        tensor_file_clear(&answer);
    }
    const op_value cube = {.rank = 3, .dim = {2, 2, 1}}, scalar = {.rank = 0};
    answer_without("weight load half");
    add_doubles("weight", &cube, the_weight);
    add_doubles("half", &scalar, the_half);
    judge();
    static const char *const want[] = {"'weight' has shape [2,2,1], expected [2,2]",
                                       "'load' is missing, expected I64 [4]", "'half' has shape [], expected [4]"};
    details_are(3, want);
}
END_TEST

START_TEST(an_optional_choice_that_is_missing_is_assumed)
{
    static op_tensor out[7];
    static op_record free_to = {0};
    memcpy(out, toy_out, sizeof toy_out);
    out[INDEX].flags |= OP_OPTIONAL;
    free_to = toy;
    free_to.out = out;
    c->op = &free_to;
    answer_without("index");
    judge();
    ck_assert(v.pass && v.details == 0);
    verdict_case_clear(&v);
    tensor_file_clear(&answer);
    answer_without("index load");
    add_integers("load", &c->out[LOAD], (const int64_t[]){1, 1, 1, 0});
    judge();
    static const char *const want[] = {"load[3] = 0, expected exactly 1 (1 of 4 elements differ)",
                                       "    'index' was not answered, so the golden choice was assumed, in which exact "
                                       "ties go to the lower index; answer it to be judged under yours"};
    details_are(2, want);
    c->op = &toy;
}
END_TEST

START_TEST(forward_alone_owes_no_gradients)
{
    g.forward = true;
    answer_without("d_r");
    judge();
    ck_assert(v.pass && v.tensors == 6);
    verdict_case_clear(&v);
    add_doubles("d_r", &c->grad[0], the_score); /* whatever it is, it is not looked at */
    judge();
    ck_assert(v.pass && v.tensors == 6);
    verdict_case_clear(&v);
    add_doubles("d_s", &c->grad[0], the_score);
    judge();
    ck_assert(!v.pass && v.tensors == 7 &&
              says("'d_s' is unknown: toy.gate has no output and no gradient of this name"));
}
END_TEST

/* --- golden files: what is found, what is missing, what is computed --------------------------------------------------- */

/* What verdict_golden_find() says of the toy's file without (or with another) tensor. */
static int found(const char *drop, const char *spoilt, const twin_profile *p)
{
    tensor_file all, f;
    memset(&f, 0, sizeof f);
    expected_file(&all, "", ' ');
    for (size_t i = 0; i < all.tensors; i++) {
        const tensor *t = &all.t[i];
        const size_t flat[1] = {t->count};
        const bool bad = strcmp(t->name, spoilt) == 0;
        if (strcmp(t->name, drop) == 0) continue;
        ck_assert_int_eq(tensor_file_add(&f, t->name, t->dtype,
                                         bad && t->rank != 1 ? 1
                                         : bad               ? 0
                                                             : t->rank,
                                         bad ? flat : t->dim, t->data),
                         0);
    }
    *err = '\0';
    const int status = verdict_golden_find(c, &f, "file", p, err, sizeof err);
    tensor_file_clear(&all);
    tensor_file_clear(&f);
    return status;
}

START_TEST(what_a_golden_file_lacks_is_found)
{
    static const char *const owed[] = {"weight", "index", "load", "half", "s", "margin", "d_r"};
    static const char *const bounds[] = {"bound.f64.weight", "bound.f64.half", "bound.f64.s",
                                         "bound.f64.d_r",    "score.index",    "score_bound.f64.index"};
    twin_profile apart = *profile;
    apart.apart = true;
    ck_assert_int_eq(found("", "", profile), 0);
    ck_assert_int_eq(found("bound.f64.margin", "", profile), 0);
    ck_assert_int_eq(found("", "", &apart), 1);
    ck_assert_int_eq(found("", "", twin_profile_find("f32")), 1);
    for (size_t i = 0; i < 7; i++) {
        char want[80];
        ck_assert_int_eq(found(owed[i], "", profile), -1);
        snprintf(want, sizeof want, "file: tensor '%s' is missing, expected", owed[i]);
        ck_assert_msg(strncmp(err, want, strlen(want)) == 0, "%s", err);
        ck_assert_int_eq(found(owed[i], "", &apart), -1);
        ck_assert_int_eq(found("", owed[i], profile), -1);
        snprintf(want, sizeof want, "file: tensor '%s' is not", owed[i]);
        ck_assert_msg(strncmp(err, want, strlen(want)) == 0, "%s", err);
    }
    for (size_t i = 0; i < 6; i++) {
        ck_assert_msg(found(bounds[i], "", profile) == 1, "%s", bounds[i]);
        ck_assert_msg(found("", bounds[i], profile) == -1, "%s", bounds[i]);
    }
}
END_TEST

/* Every output and every gradient of an operation with many: its values, with bounds; and its choice, with scores. */
START_TEST(golden_has_all_of_a_case)
{
    drawn_case("layer.smoe", "T=3,d=2,N=3,h=2", "k=2");
    for (size_t i = 0; c->op->out[i].name; i++) {
        const op_tensor *t = &c->op->out[i];
        const golden_tensor *o = &g.out[i];
        ck_assert_uint_eq(o->count, c->out[i].count);
        if (c->out[i].i64) ck_assert_mem_eq(o->index, c->out[i].i64, o->count * sizeof *o->index);
        if (c->out[i].f64) ck_assert_mem_eq(o->value, c->out[i].f64, o->count * sizeof *o->value);
        size_t some = 0;
        for (size_t e = 0; o->bound && e < o->count; e++) {
            ck_assert(t->flags & OP_MARGIN ? isinf(o->bound[e]) : o->bound[e] >= 0 && o->bound[e] < 1e-12);
            some += o->bound[e] > 0;
        }
        if (strcmp(t->name, "y") == 0) ck_assert_msg(some > 0, "y is rounded");
        ck_assert_uint_eq(g.score[i].count, t->kind == OP_DECISION ? 3 * 3 : 0);
    }
    for (size_t i = 0; c->op->in[i].name; i++) {
        const golden_tensor *d = &g.grad[i];
        size_t some = 0;
        ck_assert_uint_eq(d->count, c->grad[i].count);
        if (d->count == 0) continue;
        ck_assert_mem_eq(d->value, c->grad[i].f64, d->count * sizeof *d->value);
        for (size_t e = 0; e < d->count; e++) some += d->bound[e] > 0 && d->bound[e] < 1e-12;
        ck_assert_msg(some > 0, "d_%s has bounds", c->op->in[i].name);
    }
}
END_TEST

/* Under other roundoffs than the precision's the bounds of a file are no bounds: the twin's are taken for all of it. */
START_TEST(bounds_of_other_roundoffs_are_computed)
{
    drawn_case("gate.weights", "T=2,N=3", "k=2");
    twin_profile apart = *profile;
    verdict_golden own, read;
    tensor_file f = {0};
    apart.arithmetic = twin_profile_find("f32")->arithmetic;
    apart.apart = true;
    ck_assert_msg(verdict_golden_run(c, &apart, &own, err, sizeof err) == 0, "%s", err);
    const size_t scores[2] = {2, 3};
    for (size_t i = 0; c->op->out[i].name; i++) {
        const op_tensor *t = &c->op->out[i];
        char name[80];
        ck_assert_int_eq(tensor_file_add(&f, t->name, c->out[i].i64 ? TENSOR_I64 : TENSOR_F64, c->out[i].rank,
                                         c->out[i].dim, c->out[i].i64 ? (const void *)c->out[i].i64 : c->out[i].f64),
                         0);
        snprintf(name, sizeof name, "bound.f64.%s", t->name);
        if (!c->out[i].i64) tensor_file_add(&f, name, TENSOR_F64, c->out[i].rank, c->out[i].dim, g.out[i].bound);
        if (t->kind != OP_DECISION) continue;
        tensor_file_add(&f, "score.index", TENSOR_F64, 2, scores, g.score[i].value);
        tensor_file_add(&f, "score_bound.f64.index", TENSOR_F64, 2, scores, g.score[i].bound);
    }
    tensor_file_add(&f, "d_r", TENSOR_F64, 2, c->grad[0].dim, c->grad[0].f64);
    tensor_file_add(&f, "bound.f64.d_r", TENSOR_F64, 2, c->grad[0].dim, g.grad[0].bound);
    ck_assert_msg(verdict_golden_read(c, &f, "file", &apart, &read, err, sizeof err) == 0, "%s", err);
    for (size_t i = 0; i < OP_TENSORS; i++) {
        const golden_tensor *a[3] = {&own.out[i], &own.grad[i], &own.score[i]},
                            *b[3] = {&read.out[i], &read.grad[i], &read.score[i]};
        for (size_t k = 0; k < 3; k++)
            if (a[k]->bound) ck_assert_mem_eq(a[k]->bound, b[k]->bound, a[k]->count * sizeof(double));
    }
    ck_assert_msg(read.grad[0].bound[0] > 1e6 * g.grad[0].bound[0], "binary32 rounds 2^29 times as much");
    verdict_golden_clear(&own);
    ck_assert_msg(verdict_golden_read(c, &f, "file", profile, &own, err, sizeof err) == 0, "%s", err);
    ck_assert_mem_eq(own.grad[0].bound, g.grad[0].bound, 6 * sizeof(double));
    verdict_golden_clear(&own);
    verdict_golden_clear(&read);
    tensor_file_clear(&f);
}
END_TEST

/* Other roundoffs need the twin's bounds, be it of an output, of a gradient or of the scores alone. */
START_TEST(other_roundoffs_need_every_bound_anew)
{
    static const op_tensor in[] = {{"r", "T,N", OP_INPUT, 0, ""}, {NULL, NULL, 0, 0, NULL}};
    static const op_tensor d_in[] = {{"r", "T,N", OP_INPUT, OP_DIFF, ""}, {NULL, NULL, 0, 0, NULL}};
    static const op_tensor out[][2] = {{{"y", "T", OP_BOUNDED, 0, ""}, {NULL, NULL, 0, 0, NULL}},
                                       {{"load", "T", OP_EXACT, OP_I64, ""}, {NULL, NULL, 0, 0, NULL}},
                                       {{"index", "T,K", OP_DECISION, OP_I64, ""}, {NULL, NULL, 0, 0, NULL}},
                                       {{"load", "T", OP_EXACT, OP_I64, ""}, {NULL, NULL, 0, 0, NULL}}};
    static const double zeros[8];
    op_record one = toy;
    twin_profile apart = *profile;
    apart.apart = true;
    for (int way = 0; way < 4; way++) { /* an output; a gradient; scores; integers alone, which have no bounds */
        tensor_file f = {0};
        one.in = way == 1 ? d_in : in;
        one.out = out[way];
        op_case_free(c);
        c = op_case_new(&one, "T=2,N=4", "", err, sizeof err);
        ck_assert_msg(c != NULL, "%s", err);
        const op_value *o = &c->out[0], *r = &c->in[0];
        tensor_file_add(&f, out[way]->name, way == 0 ? TENSOR_F64 : TENSOR_I64, o->rank, o->dim, zeros);
        if (way == 0) tensor_file_add(&f, "bound.f64.y", TENSOR_F64, o->rank, o->dim, zeros);
        if (way == 1) tensor_file_add(&f, "d_r", TENSOR_F64, r->rank, r->dim, zeros);
        if (way == 1) tensor_file_add(&f, "bound.f64.d_r", TENSOR_F64, r->rank, r->dim, zeros);
        if (way == 2) tensor_file_add(&f, "score.index", TENSOR_F64, r->rank, r->dim, zeros);
        if (way == 2) tensor_file_add(&f, "score_bound.f64.index", TENSOR_F64, r->rank, r->dim, zeros);
        ck_assert_msg(verdict_golden_find(c, &f, "file", profile, err, sizeof err) == 0, "%d: %s", way, err);
        ck_assert_msg(verdict_golden_find(c, &f, "file", &apart, err, sizeof err) == (way < 3), "%d: %s", way, err);
        tensor_file_clear(&f);
    }
}
END_TEST

/* The toy has no twin that could compute what is missing. */
START_TEST(bounds_that_cannot_be_computed_are_an_error)
{
    tensor_file f;
    verdict_golden h;
    expected_file(&f, "", ' ');
    ck_assert_int_eq(verdict_golden_read(c, &f, "file", twin_profile_find("f32"), &h, err, sizeof err), -1);
    ck_assert_msg(strstr(err, "toy.gate") != NULL, "%s", err);
    ck_assert(!h.out[WEIGHT].value && h.out[WEIGHT].count == 0);
    memcpy(c->out[INDEX].i64, the_index, sizeof the_index);
    ck_assert_int_eq(verdict_golden_run(c, profile, &h, err, sizeof err), -1);
    ck_assert(!h.out[WEIGHT].value && h.out[WEIGHT].count == 0);
    ck_assert_int_eq(verdict_replay(c, profile, NULL, &h, err, sizeof err), -1);
    tensor_file_clear(&f);
}
END_TEST

/* No tokens, no scores: neither is asked for, nor does the twin have to compute them. */
START_TEST(a_golden_file_of_no_tokens_lacks_nothing)
{
    static const double none[8] = {0};
    static const int64_t no_load[4] = {0};
    tensor_file f;
    verdict_golden h;
    op_case_free(c);
    c = op_case_new(&toy, "T=0,N=4", "", err, sizeof err);
    ck_assert_msg(c != NULL, "%s", err);
    const op_value *const o = c->out;
    memset(&f, 0, sizeof f);
    tensor_file_add(&f, "weight", TENSOR_F64, 2, o[WEIGHT].dim, none);
    tensor_file_add(&f, "index", TENSOR_I64, 2, o[INDEX].dim, none);
    tensor_file_add(&f, "load", TENSOR_I64, 1, o[LOAD].dim, no_load);
    tensor_file_add(&f, "half", TENSOR_F64, 1, o[HALF].dim, the_half);
    tensor_file_add(&f, "s", TENSOR_F64, 2, o[S].dim, none);
    tensor_file_add(&f, "margin", TENSOR_F64, 1, o[MARGIN].dim, none);
    tensor_file_add(&f, "d_r", TENSOR_F64, 2, c->grad[0].dim, none);
    tensor_file_add(&f, "bound.f64.weight", TENSOR_F64, 2, o[WEIGHT].dim, none);
    tensor_file_add(&f, "bound.f64.half", TENSOR_F64, 1, o[HALF].dim, none);
    tensor_file_add(&f, "bound.f64.s", TENSOR_F64, 2, o[S].dim, none);
    tensor_file_add(&f, "bound.f64.d_r", TENSOR_F64, 2, c->grad[0].dim, none);
    ck_assert_msg(verdict_golden_find(c, &f, "file", profile, err, sizeof err) == 0, "%s", err);
    ck_assert_msg(verdict_golden_read(c, &f, "file", profile, &h, err, sizeof err) == 0, "%s", err);
    ck_assert(h.score[INDEX].count == 0 && h.out[WEIGHT].count == 0 && h.out[HALF].count == 4);
    verdict_golden_clear(&h);
    tensor_file_clear(&f);
}
END_TEST

START_TEST(names_of_a_golden_file_are_known_or_refused)
{
    static const char *const known[] = {"radius.weight",   "radius.d_r",      "score.index",
                                        "bound.f16.d_r",   "bound.bf16.half", "score_bound.tf32.index",
                                        "bound.f32.weight"};
    static const char *const unknown[] = {"r",
                                          "d_s",
                                          "x_r",
                                          "radius.r",
                                          "score.r",
                                          "bound.weight",
                                          "bound.f64",
                                          "bound.f64.",
                                          "bound.f6.weight",
                                          "bound.f64.d_s",
                                          "score_bound.f32",
                                          "bounds.f64.weight",
                                          "",
                                          "d_",
                                          "dd_r",
                                          "radius.radius.weight"};
    for (size_t i = 0; i < 7 + 16; i++) {
        tensor_file f;
        expected_file(&f, "", ' ');
        const char *name = i < 7 ? known[i] : unknown[i - 7];
        if (!tensor_file_find(&f, name))
            ck_assert_int_eq(tensor_file_add(&f, name, TENSOR_F64, 2, c->out[WEIGHT].dim, the_weight), 0);
        const int status = verdict_golden_find(c, &f, "file", profile, err, sizeof err);
        ck_assert_msg(status == (i < 7 ? 0 : -1), "'%s': %d", name, status);
        char want[160];
        snprintf(want, sizeof want, "file: unknown tensor '%s' for toy.gate", name);
        if (i >= 7) ck_assert_str_eq(err, want);
        tensor_file_clear(&f);
    }
}
END_TEST

START_TEST(golden_choices_name_experts)
{
    const int64_t high[4] = {0, 1, 2, 4}, low[4] = {0, -1, 2, 3};
    ck_assert_int_eq(
        verdict_check_decision("file", "index", 4, 2, 10, 2, (const int64_t[]){0, 3, 2, 1}, err, sizeof err), 0);
    ck_assert_int_eq(verdict_check_decision("file", "index", 4, 2, 10, 2, high, err, sizeof err), -1);
    ck_assert_str_eq(err, "file: 'index': token 11 has expert 4, expected one of the 4 from 0 on");
    ck_assert_int_eq(verdict_check_decision("file", "index", 4, 2, 10, 2, low, err, sizeof err), -1);
    ck_assert_str_eq(err, "file: 'index': token 10 has expert -1, expected one of the 4 from 0 on");
    ck_assert_int_eq(verdict_check_numbers("file", "x", 5, 3, (const double[]){1, 2, NAN},
                                           (const double[]){0, INFINITY, 1}, err, sizeof err),
                     -1);
    ck_assert_str_eq(err, "file: 'x': element 7 has a value or bound that is NaN or a negative bound");
    ck_assert_int_eq(verdict_check_numbers("file", "x", 5, 2, (const double[]){1, INFINITY},
                                           (const double[]){0, -0x1p-1074}, err, sizeof err),
                     -1);
    ck_assert_str_eq(err, "file: 'x': element 6 has a value or bound that is NaN or a negative bound");
    ck_assert_int_eq(verdict_check_numbers("file", "x", 5, 2, (const double[]){1, -INFINITY},
                                           (const double[]){0, INFINITY}, err, sizeof err),
                     0);
}
END_TEST

/* The file of a case without any bound of it, or of its scores: the twin's are those of verdict_golden_run().  Bounds that the file
 * has, twice as wide, are kept. */
START_TEST(bounds_that_are_missing_are_computed)
{
    const int64_t none[3] = {7, 7, 7};
    take(op_find("gate.weights"), "T=2,N=3", "k=1");
    memcpy(op_in(c, "r"), (const double[]){0.5, 1, 0.25, 3, 2, 1}, 6 * sizeof(double));
    memcpy(op_cot(c, "weight"), (const double[]){1, 0.5}, 2 * sizeof(double));
    ck_assert_int_eq(op_run(c), SMOE_OK);
    ck_assert_msg(verdict_golden_run(c, profile, &g, err, sizeof err) == 0, "%s", err);
    for (
        int way = 0; way < 6;
        way++) { /* nothing, half of the bounds, all but the scores', all, a choice that is none, all but a gradient's */
        tensor_file f;
        verdict_golden h;
        double twice[2][OP_TENSORS][6], score_twice[6]; /* outputs', gradients', scores' */
        memset(&f, 0, sizeof f);
        size_t decision = 0;
        for (size_t i = 0; c->op->out[i].name; i++) {
            const op_value *o = &c->out[i];
            char name[80];
            const char *of = c->op->out[i].name;
            const bool given = way == 1 ? i % 2 : way > 1;
            for (size_t e = 0; !o->i64 && e < o->count; e++) twice[0][i][e] = (given ? 2 : 1) * g.out[i].bound[e];
            if (c->op->out[i].kind == OP_DECISION) decision = i;
            if (o->i64) {
                ck_assert_int_eq(tensor_file_add(&f, of, TENSOR_I64, o->rank, o->dim, way == 4 ? none : o->i64), 0);
                continue;
            }
            ck_assert_int_eq(tensor_file_add(&f, of, TENSOR_F64, o->rank, o->dim, o->f64), 0);
            snprintf(name, sizeof name, "bound.f64.%s", of);
            if (given) tensor_file_add(&f, name, TENSOR_F64, o->rank, o->dim, twice[0][i]);
        }
        const op_value *d = &c->grad[0];
        const size_t scores[2] = {2, 3};
        for (size_t e = 0; e < 6; e++) twice[1][0][e] = (way > 1 && way < 5 ? 2 : 1) * g.grad[0].bound[e];
        for (size_t e = 0; e < 6; e++) score_twice[e] = (way > 2 ? 2 : 1) * (g.score[decision].bound[e] + (way > 2));
        tensor_file_add(&f, "d_r", TENSOR_F64, d->rank, d->dim, d->f64);
        if (way > 1 && way < 5) tensor_file_add(&f, "bound.f64.d_r", TENSOR_F64, d->rank, d->dim, twice[1][0]);
        if (way > 2) tensor_file_add(&f, "score.index", TENSOR_F64, 2, scores, g.score[decision].value);
        if (way > 2) tensor_file_add(&f, "score_bound.f64.index", TENSOR_F64, 2, scores, score_twice);
        const int status = verdict_golden_read(c, &f, "file", profile, &h, err, sizeof err);
        ck_assert_msg(status == (way == 4 ? -1 : 0), "%s", err);
        if (status == 0)
            for (size_t i = 0; i < OP_TENSORS; i++) {
                const golden_tensor *a[3] = {&g.out[i], &g.grad[i], &g.score[i]},
                                    *b[3] = {&h.out[i], &h.grad[i], &h.score[i]};
                for (size_t k = 0; k < 3; k++) {
                    ck_assert(a[k]->count == b[k]->count && !a[k]->value == !b[k]->value &&
                              !a[k]->index == !b[k]->index);
                    if (a[k]->value) ck_assert_mem_eq(a[k]->value, b[k]->value, a[k]->count * sizeof(double));
                    if (a[k]->value)
                        ck_assert_mem_eq(k < 2 ? twice[k][i] : score_twice, b[k]->bound, a[k]->count * sizeof(double));
                    if (a[k]->index) ck_assert_mem_eq(a[k]->index, b[k]->index, a[k]->count * sizeof(int64_t));
                }
            }
        verdict_golden_clear(&h);
        tensor_file_clear(&f);
    }
    ck_assert_str_eq(err, "file: 'index': token 0 has expert 7, expected one of the 3 from 0 on");
    bool bounded = false;
    for (size_t e = 0; e < 6; e++) bounded |= g.grad[0].bound[e] > 0 && isfinite(g.grad[0].bound[e]);
    ck_assert(bounded);
}
END_TEST
/* --- diagnoses by the toy ------------------------------------------------------------------------------------------ */

START_TEST(factors_are_what_their_names_say)
{
    /* T = 3, N = 5, K = 2, d = 7; there is no n */
    static const struct {
        const char *name;
        double value;
    } want[] = {{"0", 0},
                {"-1", -1},
                {"2", 2},
                {"1/2", 0.5},
                {"K", 2},
                {"1/K", 1.0 / 2},
                {"N", 5},
                {"1/N", 1.0 / 5},
                {"T", 3},
                {"1/T", 1.0 / 3},
                {"T*K", 6},
                {"1/(T*K)", 1.0 / 6},
                {"T*N", 15},
                {"1/(T*N)", 1.0 / 15},
                {"N/K", 2.5},
                {"K/N", 0.4},
                {"d", 7},
                {"1/d", 1.0 / 7},
                {"n", NAN},
                {"1/n", NAN},
                {"1/(N*N)", 1.0 / 25}};
    op_case_free(c);
    c = op_case_new(op_find("layer.smoe"), "T=3,N=5,d=7,h=4", "k=2", err, sizeof err);
    ck_assert_msg(c != NULL, "%s", err);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        double x = 99;
        ck_assert_str_eq(verdict_factor(i, c, &x), want[i].name);
        ck_assert_msg(isnan(want[i].value) ? isnan(x) : fabs(x - want[i].value) <= 1e-15, "%s is %g", want[i].name, x);
        x = 99;
        ck_assert_str_eq(verdict_factor(i, NULL, &x), want[i].name);
        ck_assert_double_eq(x, 99);
        ck_assert_str_eq(verdict_factor(i, c, NULL), want[i].name);
    }
    ck_assert_ptr_null(verdict_factor(sizeof want / sizeof *want, c, NULL));
}
END_TEST

/* Diagnoses an answer with this weight [2,2] and this gradient [2,4]. */
static void diagnose_toy(const double *w, const double *d)
{
    verdict_case_clear(&v);
    tensor_file_clear(&answer);
    answer_without("weight d_r");
    add_doubles("weight", &c->out[WEIGHT], w);
    add_doubles("d_r", &c->grad[0], d);
    judge();
    ck_assert_msg(verdict_diagnose(c, &g, &answer, profile, NULL, &v, err, sizeof err) == 0, "%s", err);
}

START_TEST(a_factor_holds_for_every_element_that_fails)
{
    const double half[8] = {1, 2, 1.5, 2, 2.5, 3, 3.5, 4}, mixed[8] = {1, 2, 1.5, 2, 2.5, 3, 3.5, 4.5},
                 zero[8] = {0, 2, 0, -0.0, 0, 0, 0, 8};
    const double nearly[8] = {0.5 + 0x1p-11, 1, 1.5, 2, 2.5, 3, 3.5, 4 - 0x1p-11},
                 off[8] = {0.5 + 0x1.1p-10, 1, 1.5, 2, 2.5, 3, 3.5, 4};
    diagnose_toy(the_weight, half);
    ck_assert(find("d_r")->factors & factor_bit("1/2") && find("d_r")->factor == 0.5 && !find("d_r")->zeros);
    ck_assert(find("weight")->factors == 0 && find("weight")->pass);
    diagnose_toy(the_weight, mixed);
    ck_assert_uint_eq(find("d_r")->factors, 0);
    diagnose_toy(the_weight, zero);
    ck_assert(find("d_r")->factors == factor_bit("0") && find("d_r")->zeros);
    diagnose_toy(the_weight, nearly); /* within the bound of golden, which half would not shrink */
    ck_assert(find("d_r")->factors & factor_bit("1/2"));
    diagnose_toy(the_weight, off);
    ck_assert_uint_eq(find("d_r")->factors, 0);
    const double beside[8] = {0.5, 2 + 0x1p-11, 1.5, 2, 2.5, 3, 3.5, 4},
                 behind[8] = {0.5, 2 + 0x1.8p-10, 1.5, 2, 2.5, 3, 3.5, 4};
    diagnose_toy(the_weight, beside); /* what passes need not be half of golden, though it is not golden itself */
    ck_assert(find("d_r")->factors & factor_bit("1/2") && find("d_r")->outside == 7);
    diagnose_toy(the_weight, behind);
    ck_assert(find("d_r")->factors == 0 && find("d_r")->outside == 8);
    double outside[8];
    memcpy(outside, the_gradient, sizeof outside);
    outside[3] = nextafter(4 + 0x1p-10, 5); /* an ulp beyond the bound, and no number times golden; 1 is none */
    diagnose_toy(the_weight, outside);
    ck_assert(!find("d_r")->pass && find("d_r")->factors == 0);
    double eight[8];
    for (size_t i = 0; i < 8; i++) eight[i] = 8 * the_gradient[i] + 0x1.ffp-8; /* eight times the bound */
    diagnose_toy(the_weight, eight);
    ck_assert_uint_eq(find("d_r")->factors, factor_bit("T*N"));
    eight[7] += 0x1p-17;
    diagnose_toy(the_weight, eight);
    ck_assert_uint_eq(find("d_r")->factors, factor_bit("T*N"));
    eight[7] += 0x1p-12;
    diagnose_toy(the_weight, eight);
    ck_assert_uint_eq(find("d_r")->factors, 0);
    eight[7] = 64 + 0x1p-7 + 0x1p-46; /* the product is rounded once: 2^-52 of 64 more */
    diagnose_toy(the_weight, eight);
    ck_assert_uint_eq(find("d_r")->factors, factor_bit("T*N"));
    eight[7] = 64 + 0x1p-7 + 0x1p-45;
    diagnose_toy(the_weight, eight);
    ck_assert_uint_eq(find("d_r")->factors, 0);
}
END_TEST

/* The stage stands first among the tensors of a verdict. */
START_TEST(the_first_tensor_is_diagnosed_like_the_others)
{
    double s[8];
    for (size_t i = 0; i < 8; i++) s[i] = 2 * the_score[i];
    answer_without("");
    add_doubles("s", &c->out[S], s);
    judge();
    ck_assert(v.t == find("s") && !v.t->pass && v.t->outside == 6); /* twice 0 is 0 */
    ck_assert_msg(verdict_diagnose(c, &g, &answer, profile, NULL, &v, err, sizeof err) == 0, "%s", err);
    ck_assert(v.t->factors == (factor_bit("2") | factor_bit("K") | factor_bit("T") | factor_bit("N/K")) &&
              v.t->factor == 2 && !v.t->zeros);
    for (size_t i = 1; i < v.tensors; i++) ck_assert_uint_eq(v.t[i].factors, 0);
}
END_TEST

/* How many sentences there are, and whether one of them is this. */
static bool tells(const char *sentence)
{
    size_t n = 0;
    for (size_t i = 0; i < v.details; i++) n += strcmp(v.detail[i], sentence) == 0;
    return n == 1;
}

static bool tells_places(void) { return says("another order") || says("transposed") || says("exchanged"); }

START_TEST(right_numbers_in_wrong_places_are_told)
{
    /* golden d_r: (1 2 3 4; 5 6 7 8), weight: (0.75 0.25; 0.5 0.5), the scores: (2 0 3 1; -1 4 0 2) */
    const double rows[8] = {5, 6, 7, 8, 1, 2, 3, 4}, across[8] = {1, 5, 2, 6, 3, 7, 4, 8},
                 nearly[8] = {1, 5, 2, 6, 3, 7, 4, 9};
    const double flipped[4] = {0.75, 0.5, 0.25, 0.5}, turned[4] = {0.5, 0.5, 0.75, 0.25};
    diagnose_toy(the_weight, rows);
    ck_assert(tells("    d_r is golden with its first axis in another order: (1 0)"));
    diagnose_toy(the_weight, across);
    ck_assert(tells("    d_r is golden transposed (its last two axes, or column-major)"));
    ck_assert_msg(verdict_diagnose(c, &g, &answer, profile, NULL, &v, err, sizeof err) == 0, "%s", err);
    ck_assert_msg(tells("    d_r is golden transposed (its last two axes, or column-major)"), "once");
    diagnose_toy(the_weight, nearly);
    ck_assert(!v.pass && !tells_places());
    diagnose_toy(flipped, the_gradient);
    ck_assert(tells("    weight is golden transposed (its last two axes, or column-major)"));
    diagnose_toy(turned, the_gradient);
    ck_assert(tells("    weight is golden with its first axis in another order: (1 0)"));
    diagnose_toy(the_weight, the_score); /* a stage that was not answered, of the same shape */
    ck_assert(tells("    d_r is what s should be: were the two exchanged?") && v.details == 3);
    for (size_t i = 0; i < 8; i++) g.grad[0].bound[i] = INFINITY;
    g.grad[0].bound[0] = 0x1p-10;
    diagnose_toy(the_weight, rows); /* 5 is not 1, and nothing is known of the others */
    ck_assert(!v.pass && !tells_places());
    memset(g.out[S].value, 0, 8 * sizeof(double));
    diagnose_toy(the_weight, (const double[8]){0});
    ck_assert_msg(!tells_places(), "zeros are like any others");
}
END_TEST

static golden_tensor copy_of(const golden_tensor *t)
{
    golden_tensor w = {t->count, NULL, NULL, NULL};
    if (t->index) w.index = integers(t->count, t->index);
    if (t->value) w.value = doubles(t->count, t->value);
    if (t->bound) w.bound = doubles(t->count, t->bound);
    return w;
}

/* A variant that changes nothing. */
static verdict_golden like_golden(void)
{
    verdict_golden w;
    memset(&w, 0, sizeof w);
    for (size_t i = 0; i < OP_TENSORS; i++) {
        w.out[i] = copy_of(&g.out[i]);
        w.grad[i] = copy_of(&g.grad[i]);
        w.score[i] = copy_of(&g.score[i]);
    }
    return w;
}

/* Judges an answer with this weight, choice, counts and gradient. */
static void judge_all(const double *weight, const int64_t *index, const int64_t *load, const double *gradient)
{
    verdict_case_clear(&v);
    tensor_file_clear(&answer);
    add_doubles("weight", &c->out[WEIGHT], weight);
    add_integers("index", &c->out[INDEX], index);
    add_integers("load", &c->out[LOAD], load);
    add_doubles("half", &c->out[HALF], the_half);
    add_doubles("d_r", &c->grad[0], gradient);
    judge();
}

/* One variant has another weight[0] and another load[1], the second another weight[1] and another d_r[7], both another weight[2]. */
START_TEST(what_speaks_against_a_pair_is_counted)
{
    verdict_golden a = like_golden(), b = like_golden();
    const patient x = {.c = c, .golden = &g, .equation = &g, .answer = &answer, .p = profile, .v = &v};
    const double both[4] = {3, 4, 99, 0.5}, first[4] = {3, 0.25, 0.5, 0.5}, none[4] = {7, 7, 7, 7},
                 edge[4] = {3 + 0x1p-10, 4 - 0x1p-10, 99, 0.5}, beyond[4] = {3 + 0x1.1p-10, 4, 99, 0.5};
    const int64_t load[4] = {1, 5, 1, 1}, other[4] = {0, 0, 0, 0}, twice[4] = {2, 2, 1, 3};
    double gradient[8];
    memcpy(gradient, the_gradient, sizeof gradient);
    a.out[WEIGHT].value[0] = 3;
    b.out[WEIGHT].value[1] = gradient[7] = b.grad[0].value[7] = 4;
    a.out[WEIGHT].value[2] = b.out[WEIGHT].value[2] = 6;
    a.out[LOAD].index[1] = 5;
    judge_all(both, the_index, load, gradient);
    ck_assert_uint_eq(diagnose_misfit(&x, &a, &b), 0);
    ck_assert_uint_eq(diagnose_misfit(&x, &b, &a), 0);
    ck_assert_uint_eq(diagnose_misfit(&x, &a, &a), 1 + 1); /* weight[1] and d_r[7]; what both change is not looked at */
    ck_assert_uint_eq(diagnose_misfit(&x, &b, &b), 1 + 1); /* weight[0] and load[1] */
    judge_all(edge, the_index, load, gradient);
    ck_assert_uint_eq(diagnose_misfit(&x, &a, &b), 0);
    judge_all(beyond, the_index, load, gradient);
    ck_assert_uint_eq(diagnose_misfit(&x, &a, &b), 1);
    judge_all(first, the_index, load, the_gradient);
    ck_assert_uint_eq(diagnose_misfit(&x, &a, &b), 1 + 1); /* weight[1] and d_r[7] */
    judge_all(none, the_index, other, gradient);
    ck_assert_uint_eq(diagnose_misfit(&x, &a, &b), 3 + 4);
    add_doubles("s", &c->out[S], the_score); /* a stage that is right, and not answered above */
    verdict_case_clear(&v);
    judge();
    ck_assert_uint_eq(diagnose_misfit(&x, &a, &b), 3 + 4);
    b.out[S].value[3] = 9;
    ck_assert_uint_eq(diagnose_misfit(&x, &a, &b), 3 + 4 + 1);
    judge_all(both, twice, load, gradient); /* a choice that fails, and two that leave the scores alone */
    ck_assert(!find("index")->pass);
    ck_assert_uint_eq(diagnose_misfit(&x, &a, &b), 4);
    b.score[INDEX].value[7] = 5;
    ck_assert_uint_eq(diagnose_misfit(&x, &a, &b), 0);
    ck_assert_uint_eq(diagnose_misfit(&x, &b, &a), 0);
    golden_tensor mine = b.out[LOAD]; /* a variant that says nothing of the counts has the equation's */
    free(mine.index);
    memset(&b.out[LOAD], 0, sizeof b.out[LOAD]);
    judge_all(both, the_index, load, gradient);
    ck_assert_uint_eq(diagnose_misfit(&x, &a, &b), 0);
    ck_assert_uint_eq(diagnose_misfit(&x, &b, &b), 1 + 1);
    verdict_golden silent =
        like_golden(); /* nor does the equation, under another choice: then what passes is right, and all else wrong */
    free(silent.out[LOAD].index);
    memset(&silent.out[LOAD], 0, sizeof silent.out[LOAD]);
    const patient replayed = {.c = c, .golden = &g, .equation = &silent, .answer = &answer, .p = profile, .v = &v};
    ck_assert_uint_eq(diagnose_misfit(&replayed, &a, &b), 4);
    judge_all(both, the_index, the_load, gradient);
    ck_assert_uint_eq(diagnose_misfit(&replayed, &a, &b), 0);
    verdict_golden_clear(&silent);
    verdict_golden_clear(&a);
    verdict_golden_clear(&b);
}
END_TEST

static bool is_variant(const char *name, const verdict_golden *w, double *ratio, bool *told)
{
    const patient x = {.c = c, .golden = &g, .equation = &g, .answer = &answer, .p = profile, .v = &v};
    *told = false;
    *ratio = diagnose_tensor(&x, find(name), w, told);
    return !isinf(*ratio);
}

/* A variant whose weight[0] is 3 and weight[1] 0.25 + 1.5 * 2^-10, where both bounds of golden and of it are 2^-10. */
START_TEST(a_tensor_is_a_variants_or_not)
{
    verdict_golden w = like_golden();
    double x[4], ratio;
    bool told;
    w.out[WEIGHT].value[0] = 3;
    w.out[WEIGHT].value[1] = 0.25 + 0x1.8p-10;
    memcpy(x, w.out[WEIGHT].value, sizeof x);
    judge_all(x, the_index, the_load, the_gradient); /* what it would be */
    ck_assert(is_variant("weight", &w, &ratio, &told) && ratio == 0 && told);
    x[0] = 3 - 0x1p-11;
    x[3] = 0.5 + 0x1.8p-11;
    judge_all(x, the_index, the_load, the_gradient);
    ck_assert(is_variant("weight", &w, &ratio, &told) && ratio == 0.75 && told);
    x[3] = 0.5 + 0x1p-10;
    judge_all(x, the_index, the_load, the_gradient);
    ck_assert(is_variant("weight", &w, &ratio, &told) && ratio == 1);
    x[3] = nextafter(x[3], 1);
    judge_all(x, the_index, the_load, the_gradient);
    ck_assert(!is_variant("weight", &w, &ratio, &told));
    x[3] = NAN;
    judge_all(x, the_index, the_load, the_gradient);
    ck_assert(!is_variant("weight", &w, &ratio, &told));
    w.out[WEIGHT].value[0] = 0.75; /* now nothing but weight[1] is another */
    memcpy(x, the_weight, sizeof x);
    x[1] = 0.25 + 0x1p-10; /* it passes: that says nothing */
    judge_all(x, the_index, the_load, the_gradient);
    ck_assert(find("weight")->pass && is_variant("weight", &w, &ratio, &told) && ratio == 0.5 && !told);
    x[1] = 0.25 + 0x1.4p-10; /* it fails, and golden is beyond the variant's bound */
    judge_all(x, the_index, the_load, the_gradient);
    ck_assert(!find("weight")->pass && is_variant("weight", &w, &ratio, &told) && ratio == 0.25 && told);
    w.out[WEIGHT].value[1] = 0.25 + 0x1p-10; /* golden is at the variant's bound, so that it might be golden's */
    judge_all(x, the_index, the_load, the_gradient);
    ck_assert(is_variant("weight", &w, &ratio, &told) && ratio == 0.25 && !told);
    free(w.out[WEIGHT].value); /* it says nothing of the weights: then they are golden's or not */
    free(w.out[WEIGHT].bound);
    memset(&w.out[WEIGHT], 0, sizeof w.out[WEIGHT]);
    ck_assert(!is_variant("weight", &w, &ratio, &told));
    judge_all(the_weight, the_index, the_load, the_gradient);
    ck_assert(is_variant("weight", &w, &ratio, &told) && ratio == 0 && !told);
    ck_assert(is_variant("d_r", &w, &ratio, &told) && ratio == 0 && !told);
    w.grad[0].value[7] = 8.5;
    ck_assert(!is_variant("d_r", &w, &ratio, &told));
    verdict_golden_clear(&w);
}
END_TEST

/* Counts are a variant's if all are; a choice is, if the variant's scores admit it. */
START_TEST(counts_and_choices_are_a_variants_or_not)
{
    verdict_golden w = like_golden();
    const int64_t load[4] = {1, 1, 0, 2}, other[4] = {2, 0, 3, 1};
    double ratio;
    bool told;
    judge_all(the_weight, the_index, load, the_gradient);
    ck_assert(!is_variant("load", &w, &ratio, &told));
    memcpy(w.out[LOAD].index, load, sizeof load);
    ck_assert(is_variant("load", &w, &ratio, &told) && ratio == 0 && told);
    w.out[LOAD].index[0] = 2;
    ck_assert(!is_variant("load", &w, &ratio, &told));
    judge_all(the_weight, the_index, the_load, the_gradient);
    memcpy(w.out[LOAD].index, the_load, sizeof the_load);
    ck_assert(is_variant("load", &w, &ratio, &told) && !told);
    free(w.out[LOAD].index); /* nothing is said of the counts */
    memset(&w.out[LOAD], 0, sizeof w.out[LOAD]);
    ck_assert(is_variant("load", &w, &ratio, &told) && ratio == 0 && !told);
    judge_all(the_weight, the_index, load, the_gradient);
    ck_assert(!is_variant("load", &w, &ratio, &told));
    /* The scores of the second token are (-1 4 0 2); with (-1 2 0 4) its choice would be (3 1). */
    memcpy(c->out[INDEX].i64, the_index, sizeof the_index);
    ck_assert(is_variant("index", &w, &ratio, &told) && ratio == 0 && !told);
    memcpy(c->out[INDEX].i64, other, sizeof other);
    ck_assert(!is_variant("index", &w, &ratio, &told));
    w.score[INDEX].value[5] = 2;
    w.score[INDEX].value[7] = 4;
    ck_assert(is_variant("index", &w, &ratio, &told) && ratio == 0 && told);
    memcpy(c->out[INDEX].i64, the_index, sizeof the_index);
    ck_assert(!is_variant("index", &w, &ratio, &told));
    w.score[INDEX].count = 0; /* nothing is said of the scores: the choice is golden's, or one that golden admits */
    ck_assert(is_variant("index", &w, &ratio, &told) && ratio == 0 && !told);
    for (size_t i = 0; i < v.tensors; i++)
        if (v.t[i].kind == OP_DECISION) v.t[i].outside = 1;
    ck_assert(!is_variant("index", &w, &ratio, &told));
    verdict_golden_clear(&w);
}
END_TEST

/* Ten for what fails and is left alone, one for what passes and is changed.  A bound is 2^-10, and of scores 2^-8. */
START_TEST(unlike_effects_are_counted)
{
    verdict_golden w = like_golden();
    const double wrong[4] = {3, 0.25, 0.5, 0.5};
    const int64_t other[4] = {2, 1, 1, 0}, twice[4] = {2, 2, 1, 3};
    judge_all(wrong, twice, other,
              the_gradient); /* weight and load fail, and so does the choice, which does not count */
    ck_assert_uint_eq(diagnose_unlikeness(&v, &g, &w), 20);
    w.out[LOAD].index[3] = 7;
    ck_assert_uint_eq(diagnose_unlikeness(&v, &g, &w), 10);
    w.out[WEIGHT].value[3] = 0.5 + 0x1p-9;
    ck_assert_uint_eq(diagnose_unlikeness(&v, &g, &w), 10);
    w.out[WEIGHT].value[3] = 0.5 - 0x1.01p-9;
    ck_assert_uint_eq(diagnose_unlikeness(&v, &g, &w), 0);
    w.grad[0].value[7] = 9;
    ck_assert_uint_eq(diagnose_unlikeness(&v, &g, &w), 1);
    w.out[HALF].value[0] = 9;
    ck_assert_uint_eq(diagnose_unlikeness(&v, &g, &w), 2);
    w.out[S].value[0] = 99; /* it was not answered */
    w.score[INDEX].value[0] = 99;
    ck_assert_uint_eq(diagnose_unlikeness(&v, &g, &w), 2);
    free(w.out[LOAD].index); /* the variant says nothing of it */
    memset(&w.out[LOAD], 0, sizeof w.out[LOAD]);
    ck_assert_uint_eq(diagnose_unlikeness(&v, &g, &w), 2);
    verdict_golden_clear(&w);
}
END_TEST

/* An order is told in full up to 152 characters, and cut after the number that crosses them. */
START_TEST(long_orders_are_cut)
{
    static const op_tensor in[] = {{"r", "T", OP_INPUT, OP_DIFF, ""}, {NULL, NULL, 0, 0, NULL}};
    static const op_tensor out[] = {{"y", "", OP_BOUNDED, 0, ""}, {NULL, NULL, 0, 0, NULL}};
    static const struct {
        size_t T;
        bool back; /* from the last to the first; or the first two exchanged */
        size_t told;
    } row[] = {
        {64, true, 51}, /* two characters, and fifty times three: 152 */
        {51, true, 51}, /* 10 .. 50 and 0 .. 9: 2 + 40 * 3 + 10 * 2 = 142 */
        {54, false, 54}, /* 0 .. 9 and 10 .. 53: 19 + 44 * 3 = 151 */
        {55, false, 55}, /* 154, of which nothing is left */
        {56, false, 55},
    };
    op_record vector = toy;
    vector.in = in;
    vector.out = out;
    for (size_t k = 0; k < sizeof row / sizeof *row; k++) {
        double x[64], golden[64];
        char dims[20], want[300];
        snprintf(dims, sizeof dims, "T=%zu", row[k].T);
        op_case_free(c);
        verdict_golden_clear(&g);
        verdict_case_clear(&v);
        tensor_file_clear(&answer);
        c = op_case_new(&vector, dims, "", err, sizeof err);
        ck_assert_msg(c != NULL, "%s", err);
        for (size_t i = 0; i < row[k].T; i++) golden[i] = (double)i;
        for (size_t i = 0; i < row[k].T; i++)
            x[i] = row[k].back ? (double)(row[k].T - 1 - i) : (double)(i < 2 ? 1 - i : i);
        g.out[0] = floats(1, (const double[]){1}, 0.25);
        g.grad[0] = floats(row[k].T, golden, 0.25);
        add_doubles("y", &c->out[0], (const double[]){1});
        add_doubles("d_r", &c->grad[0], x);
        judge();
        ck_assert_msg(verdict_diagnose(c, &g, &answer, profile, NULL, &v, err, sizeof err) == 0, "%s", err);
        size_t at = (size_t)snprintf(want, sizeof want, "    d_r is golden with its first axis in another order: (");
        for (size_t i = 0; i < row[k].told; i++)
            at += (size_t)snprintf(want + at, sizeof want - at, "%s%.0f", i ? " " : "", x[i]);
        snprintf(want + at, sizeof want - at, row[k].told < row[k].T ? " ...)" : ")");
        ck_assert_msg(tells(want), "%zu rows: %s", row[k].T, v.detail[v.details - 1]);
    }
}
END_TEST

/* As many numbers in another shape are no exchange: [2,3] and [3,2], [6] and [6,1]; [2,3] and [2,3] are one. */
START_TEST(exchanged_tensors_have_one_shape)
{
    static const op_tensor in[] = {{"a", "T,N", OP_INPUT, OP_DIFF, ""}, {"b", "N,T", OP_INPUT, OP_DIFF, ""},
                                   {"x", "V", OP_INPUT, OP_DIFF, ""},   {"y", "V,O", OP_INPUT, OP_DIFF, ""},
                                   {"e", "T,N", OP_INPUT, OP_DIFF, ""}, {NULL, NULL, 0, 0, NULL}};
    static const op_tensor out[] = {{"loss", "", OP_BOUNDED, OP_DIFF, ""}, {NULL, NULL, 0, 0, NULL}};
    static const char *const names[] = {"d_a", "d_b", "d_x", "d_y", "d_e"};
    op_record shapes = toy;
    shapes.in = in;
    shapes.out = out;
    take(&shapes, "T=2,N=3,V=6,O=1", "");
    double x[5][6];
    for (size_t i = 0; i < 5; i++)
        for (size_t e = 0; e < 6; e++) x[i][e] = (double)(10 * (i + 1) + e * e);
    g.out[0] = floats(1, x[0], 0.25);
    for (size_t i = 0; i < 5; i++) g.grad[i] = floats(6, x[i], 0.25);
    for (size_t i = 0; i < 5; i++)
        for (size_t k = 0; k < 5; k++) { /* the answer's i is golden's k */
            char want[80];
            if (i == k) continue;
            verdict_case_clear(&v);
            tensor_file_clear(&answer);
            add_doubles("loss", &c->out[0], x[0]);
            for (size_t j = 0; j < 5; j++) add_doubles(names[j], &c->grad[j], x[j == i ? k : j]);
            judge();
            ck_assert_msg(verdict_diagnose(c, &g, &answer, profile, NULL, &v, err, sizeof err) == 0, "%s", err);
            snprintf(want, sizeof want, "    %s is what %s should be: were the two exchanged?", names[i], names[k]);
            ck_assert_msg(tells(want) == (i + k == 4 && i != 1 && i != 3), "%s is %s", names[i], names[k]);
            ck_assert(tells_places() == (i + k == 4 && i != 1 && i != 3));
        }
}
END_TEST

/* A vector and a box: T = 64 and 65 rows, and three axes. */
START_TEST(places_in_vectors_and_boxes)
{
    static const op_tensor in[] = {
        {"r", "T", OP_INPUT, OP_DIFF, ""}, {"b", "A,B,D", OP_INPUT, OP_DIFF, ""}, {NULL, NULL, 0, 0, NULL}};
    static const op_tensor out[] = {{"y", "", OP_BOUNDED, OP_DIFF, ""}, {NULL, NULL, 0, 0, NULL}};
    op_record wide = toy;
    wide.in = in;
    wide.out = out;
    for (size_t T = 63; T <= 65; T++) {
        double x[65], golden[65], box[12], turned[12];
        char dims[40];
        snprintf(dims, sizeof dims, "T=%zu,A=2,B=2,D=3", T);
        op_case_free(c);
        verdict_golden_clear(&g);
        verdict_case_clear(&v);
        tensor_file_clear(&answer);
        c = op_case_new(&wide, dims, "", err, sizeof err);
        ck_assert_msg(c != NULL, "%s", err);
        for (size_t i = 0; i < T; i++) golden[i] = (double)i;
        for (size_t i = 0; i < T; i++) x[i] = (double)(T - 1 - i);
        for (size_t i = 0; i < 12; i++) box[i] = (double)i; /* box[a][b][d] = 6 a + 3 b + d; turned[a] is [3][2] */
        for (size_t i = 0; i < 12; i++) turned[i] = (double)(i / 6 * 6 + i % 2 * 3 + i % 6 / 2);
        g.out[0] = floats(1, (const double[]){1}, 0.25);
        g.grad[0] = floats(T, golden, 0.25);
        g.grad[1] = floats(12, box, 0.25);
        add_doubles("y", &c->out[0], (const double[]){1});
        add_doubles("d_r", &c->grad[0], x);
        add_doubles("d_b", &c->grad[1], turned);
        judge();
        ck_assert_msg(verdict_diagnose(c, &g, &answer, profile, NULL, &v, err, sizeof err) == 0, "%s", err);
        ck_assert(tells("    d_b is golden transposed (its last two axes, or column-major)"));
        char want[100];
        snprintf(want, sizeof want, "d_r is golden with its first axis in another order: (%zu %zu %zu ", T - 1, T - 2,
                 T - 3);
        ck_assert_msg(says(want) == (T <= 64), "%zu rows", T);
        if (T <= 64) ck_assert(says("... ...)") || says(" ...)"));
        ck_assert_msg(!says("golden transposed (its last two axes, or column-major)") ||
                          !says("d_r is golden transposed"),
                      "a vector has no transpose");
    }
}
END_TEST

/* --- reports ------------------------------------------------------------------------------------------------- */

static char *render(report_format f, verdict_case *list, size_t n)
{
    const report r = {
        .version = "0", .suite = "core", .seed = 1, .seeds = 1, .precision = profile, .cases = n, .c = list};
    size_t len;
    char *text = report_render(&r, f, &len);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_eq(strlen(text), len);
    return text;
}

START_TEST(reports_count_and_escape)
{
    verdict_case list[2];
    memset(list, 0, sizeof list);
    answer_without("");
    judge();
    list[0] = v;
    add_doubles("</failure>&\"\x01\xff\xc3\xa9", &c->out[WEIGHT], the_weight);
    judge();
    list[1] = v;
    verdict_fail(&list[1], "a\nb", "last <words>");
    memset(&v, 0, sizeof v);

    char *text = render(REPORT_TEXT, list, 2);
    ck_assert_ptr_nonnull(strstr(text, "1 passed, 1 failed"));
    ck_assert_ptr_nonnull(strstr(text, "last <words>"));
    free(text);
    text = render(REPORT_TAP, list, 2);
    ck_assert_ptr_nonnull(strstr(text, "1..2\nok 1 - case"));
    ck_assert_ptr_nonnull(strstr(text, "not ok 2 - case"));
    free(text);
    text = render(REPORT_XML, list, 2);
    ck_assert_ptr_nonnull(strstr(text, "&lt;/failure&gt;&amp;&quot;??\xc3\xa9"));
    ck_assert_ptr_null(strstr(text, "\x01"));
    ck_assert_ptr_nonnull(strstr(text, "<testsuites name=\"smoeref\" tests=\"2\" failures=\"1\">"));
    free(text);
    text = render(REPORT_JSON, list, 2);
    json_error_t e;
    json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, &e);
    ck_assert_msg(o != NULL, "%s", e.text);
    ck_assert_int_eq(json_integer_value(json_object_get(o, "passed")), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(o, "failed")), 1);
    ck_assert_uint_eq(json_array_size(json_object_get(o, "cases")), 2);
    json_decref(o);
    free(text);
    verdict_case_clear(&list[0]);
    verdict_case_clear(&list[1]);
}
END_TEST

START_TEST(an_explanation_must_hold_for_every_case)
{
    /* The gradient is halved in two cases: 1/2, 1/K, 1/T and K/N explain it where T = K = 2, N = 4.  Then the second is
     * -1 times golden: nothing explains both. */
    verdict_case list[2];
    memset(list, 0, sizeof list);
    factors_of_gradient(0.5);
    list[0] = v;
    memset(&v, 0, sizeof v);
    factors_of_gradient(0.5);
    list[1] = v;
    memset(&v, 0, sizeof v);
    const report r = {.version = "0", .suite = "core", .precision = profile, .cases = 2, .c = list};
    report_explanation *e = report_explain(&r, 0);
    ck_assert_ptr_nonnull(e);
    ck_assert_uint_eq(e->failed, 2);
    ck_assert_uint_eq(e->factors, 1);
    ck_assert_msg(e->factored && e->factor[0].failing == 2, "1/2 explains both");
    report_explanation_free(e);
    verdict_case_clear(&list[1]);
    factors_of_gradient(-1);
    list[1] = v;
    memset(&v, 0, sizeof v);
    e = report_explain(&r, 0);
    ck_assert_msg(e && !e->factored && e->factor[0].mask == 0, "no factor is 1/2 in one case and -1 in the other");
    report_explanation_free(e);
    ck_assert_ptr_null(report_explain(&r, 1));
    verdict_case_clear(&list[0]);
    verdict_case_clear(&list[1]);
}
END_TEST

START_TEST(each_part_of_the_cases_has_its_line)
{
    verdict_case list[2];
    profile = twin_profile_find("f32");
    balance_case();
    balance_answer(0.5, 0.375, 0.125); /* P over T K */
    list[0] = v;
    memset(&v, 0, sizeof v);
    balance_answer(0.7, 0.375, 0.2); /* nobody's, nor a number times golden */
    list[1] = v;
    memset(&v, 0, sizeof v);
    char *text = render(REPORT_TEXT, list, 2);
    ck_assert_msg(strstr(text, "balance.switch: 1 of 2 failing cases equals ") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "\n    the other 1: case\n") != NULL, "%s", text);
    free(text);
    text = render(REPORT_TAP, list, 2);
    ck_assert_msg(strstr(text, "\n#     the other 1: case\n") != NULL, "%s", text);
    free(text);
    verdict_case_clear(&list[0]);
    verdict_case_clear(&list[1]);
}
END_TEST

/* A shard's file may say anything of the parameters: nothing is read beyond its text. */
START_TEST(parameters_that_are_cut_are_read_to_their_end)
{
    static const char *const text[] = {"",        "k",         "k=",         "k=2 ",
                                       "k=2 cou", "k=2 count", "k=2 count=", "else=1 count=first"};
    verdict_case list[2];
    profile = twin_profile_find("f32");
    balance_case();
    balance_answer(0.7, 0.375, 0.2);
    list[1] = v;
    memset(&v, 0, sizeof v);
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        balance_answer(0.7, 0.375, 0.2);
        list[0] = v;
        memset(&v, 0, sizeof v);
        free(list[0].parameters);
        list[0].parameters = strdup(text[i]);
        ck_assert_ptr_nonnull(list[0].parameters);
        char *said = render(REPORT_TEXT, list, 2);
        ck_assert_msg((strstr(said, "1 of these sets count: ") != NULL) == (i == 6), "'%s': %s", text[i], said);
        free(said);
        verdict_case_clear(&list[0]);
    }
    verdict_case_clear(&list[1]);
}
END_TEST

START_TEST(failures_of_two_kinds_are_both_told)
{
    verdict_case list[2];
    for (size_t i = 0; i < 2; i++) {
        answer_without("");
        judge();
        list[i] = v;
        memset(&v, 0, sizeof v);
        verdict_fail(&list[i], i == 0 ? "it ended with status 4" : "it ended with status 5", NULL);
    }
    char *text = render(REPORT_TEXT, list, 2);
    ck_assert_msg(strstr(text, "status 4") != NULL && strstr(text, "status 5") != NULL, "%s", text);
    free(text);
    verdict_case_clear(&list[0]);
    verdict_case_clear(&list[1]);
}
END_TEST

START_TEST(a_loss_is_before_the_gradients)
{
    profile = twin_profile_find("f32");
    balance_case();
    balance_answer(1, 0.75, 0.25);
    for (size_t i = 0; i < answer.tensors; i++)
        if (strcmp(answer.t[i].name, "d_r") == 0) ((double *)answer.t[i].data)[0] = 1; /* 0 in truth */
    verdict_case_clear(&v);
    judge();
    char *text = render(REPORT_TEXT, &v, 1);
    ck_assert_msg(strstr(text, "gradient d_r (right before it: fraction, probability, loss)") != NULL, "%s", text);
    free(text);
}
END_TEST

START_TEST(formats_go_by_extension)
{
    report_format f;
    ck_assert(report_format_of("a.txt", &f) && f == REPORT_TEXT);
    ck_assert(report_format_of("a.b.tap", &f) && f == REPORT_TAP);
    ck_assert(report_format_of("dir/a.json", &f) && f == REPORT_JSON);
    ck_assert(report_format_of("a.xml", &f) && f == REPORT_XML);
    ck_assert(report_format_of("a.html", &f) && f == REPORT_HTML);
    ck_assert(!report_format_of("a.htm", &f));
    ck_assert(!report_format_of("json", &f));
    ck_assert(!report_format_of(".xml", &f));
}
END_TEST

/* Names come out of files: what looks like a format is text. */
START_TEST(per_cent_signs_are_text)
{
    answer_without("weight");
    add_doubles("%s%n", &c->out[WEIGHT], the_weight);
    ck_assert_int_eq(verdict_judge(c, "50% of %s", &g, &answer, profile, &v, err, sizeof err), 0);
    ck_assert_str_eq(v.name, "50% of %s");
    ck_assert(find("%s%n")->present && says("'%s%n' is unknown: toy.gate has no output and no gradient of this name"));
    verdict_fail(&v, "%d of %s", "%x%%");
    ck_assert_str_eq(v.fault, "%d of %s");
    ck_assert_str_eq(v.output, "%x%%");
}
END_TEST

START_TEST(texts_of_limited_room_end_there)
{
    char s[17] = "################";
    size_t at = 0;
    verdict_append(s, 8, &at, "%d%s", 123, "45");
    ck_assert(at == 5 && strcmp(s, "12345") == 0);
    verdict_append(s, 8, &at, "%s", "");
    ck_assert_uint_eq(at, 5);
    verdict_append(s, 8, &at, "6789");
    ck_assert(at == 9 && strcmp(s, "1234567") == 0);
    verdict_append(s, 8, &at, "x");
    ck_assert(at == 9 && strcmp(s, "1234567") == 0);
    at = 8;
    verdict_append(s, 8, &at, "x");
    ck_assert_str_eq(s + 8, "########");
}
END_TEST

START_TEST(sentences_are_clean)
{
    char *s = verdict_say("%s", "a\x1b[31m\xe2\x82\xac\xc0\xaf\xed\xa0\x80\xf5\x7f\xc2\x80z");
    ck_assert_str_eq(s, "a?[31m\xe2\x82\xac?????????z");
    free(s);
}
END_TEST

/* 3 rows of 100 elements on 48 cells each: columns 0, 1, 2 are cell 0 (2 * 48 < 100), 3 and 4 are cell 1, 98 and 99 are cell 47. */
START_TEST(a_picture_has_the_worst_of_each_cell)
{
    static double ratio[300];
    verdict_tensor t = {.rank = 2, .dim = {3, 100}, .count = 300};
    unsigned char want[3 * VERDICT_HEAT] = {0};
    ratio[101] = 0.75;
    ratio[102] = 1.5;
    ratio[104] = 0.3;
    ratio[200] = 0.0625;
    ratio[299] = NAN;
    want[VERDICT_HEAT] = 3; /* beyond the bound, up to twice */
    want[VERDICT_HEAT + 1] = 1; /* up to half of it */
    want[3 * VERDICT_HEAT - 1] = 5;
    for (size_t first = 0; first < 300; first += 60) verdict_tally_heat(&t, first, 60, ratio + first);
    ck_assert_uint_eq(t.heat_rows, 3);
    ck_assert_uint_eq(t.heat_cols, VERDICT_HEAT);
    ck_assert_mem_eq(t.heat, want, sizeof want);
    free(t.heat);
}
END_TEST

/* 96 rows of 5: two rows a cell, and each column is one. */
START_TEST(a_picture_of_narrow_rows)
{
    static double ratio[480];
    verdict_tensor t = {.rank = 2, .dim = {96, 5}, .count = 480};
    ratio[7 * 5 + 4] = 3;
    ratio[6 * 5 + 4] = 2;
    ratio[95 * 5] = INFINITY;
    verdict_tally_heat(&t, 3, 477, ratio + 3);
    ck_assert_uint_eq(t.heat_rows, VERDICT_HEAT);
    ck_assert_uint_eq(t.heat_cols, 5);
    for (size_t i = 0; i < (size_t)VERDICT_HEAT * 5; i++)
        ck_assert_uint_eq(t.heat[i], i == 3 * 5 + 4 ? 4 : i == 47 * 5 ? 5 : 0);
    free(t.heat);
}
END_TEST

/* --- smaller cases ----------------------------------------------------------------------------------------------- */

static op_case *zloss_case(const char *dims, const double *r, double cotangent)
{
    op_case *z = op_case_new(op_find("balance.zloss"), dims, "", err, sizeof err);
    ck_assert_msg(z != NULL, "%s", err);
    memcpy(op_in(z, "r"), r, z->in[0].count * sizeof *r);
    op_cot(z, "loss")[0] = cotangent;
    ck_assert_int_eq(op_run(z), SMOE_OK);
    return z;
}

static const shrink_step *step_called(const shrink_list *l, const char *what)
{
    for (size_t i = 0; i < l->steps; i++)
        if (strcmp(l->step[i].what, what) == 0) return &l->step[i];
    return NULL;
}

START_TEST(a_smaller_case_keeps_its_corner)
{
    const double r[6] = {1, 2.5, 3, 4, 5, 6};
    op_case *z = zloss_case("T=2,N=3", r, -2);
    shrink_list l = shrink_propose(z);
    const shrink_step *s = step_called(&l, "N=2");
    ck_assert_ptr_nonnull(s);
    ck_assert_uint_eq(s->c->in[0].dim[0], 2);
    ck_assert_uint_eq(s->c->in[0].dim[1], 2);
    ck_assert(memcmp(op_in(s->c, "r"), (const double[]){1, 2.5, 4, 5}, 4 * sizeof(double)) == 0);
    ck_assert_double_eq(op_cot(s->c, "loss")[0], -2);
    ck_assert_msg(op_out(s->c, "loss")[0] > 0, "it was run");
    s = step_called(&l, "T=1");
    ck_assert_ptr_nonnull(s);
    ck_assert(memcmp(op_in(s->c, "r"), r, 3 * sizeof(double)) == 0);
    s = step_called(&l, "every size at most 1");
    ck_assert_msg(s == &l.step[0], "the boldest first");
    ck_assert_uint_eq(s->c->in[0].count, 1);
    ck_assert_ptr_nonnull(step_called(&l, "every size at most 2"));
    ck_assert_ptr_null(step_called(&l, "every size at most 3"));
    ck_assert_ptr_null(step_called(&l, "N=3"));
    shrink_list_clear(&l);
    op_case_free(z);
}
END_TEST

START_TEST(values_become_simpler)
{
    const double r[3] = {0.3, -0.125, 2.5};
    const struct {
        const char *what;
        double r[3];
    } want[] = {{"r zeros", {0, 0, 0}},
                {"r ones", {1, 1, 1}},
                {"r whole numbers", {1, -1, 2}},
                {"r quarters", {0.25, -0.0, 2.5}},
                {"element 0 of r 0", {0, -0.125, 2.5}},
                {"element 2 of r 0", {0.3, -0.125, 0}}};
    op_case *z = zloss_case("T=1,N=3", r, -2);
    shrink_list l = shrink_propose(z);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const shrink_step *s = step_called(&l, want[i].what);
        ck_assert_msg(s != NULL, "%s", want[i].what);
        for (size_t e = 0; e < 3; e++) ck_assert_double_eq(op_in(s->c, "r")[e], want[i].r[e]);
    }
    ck_assert_double_eq(op_cot(step_called(&l, "d_loss zeros")->c, "loss")[0], 0);
    ck_assert_double_eq(op_cot(step_called(&l, "d_loss ones")->c, "loss")[0], 1);
    ck_assert_ptr_null(step_called(&l, "d_loss whole numbers")); /* it is one */
    shrink_list_clear(&l);
    op_case_free(z);
}
END_TEST

/* From any case there is an end: what cannot be made simpler has no steps, and no step is one back. */
START_TEST(what_is_simplest_has_no_steps)
{
    op_case *z = zloss_case("T=1,N=1", (const double[]){0}, 0);
    shrink_list l = shrink_propose(z);
    ck_assert_uint_eq(l.steps, 0);
    op_case_free(z);
    for (size_t o = 0; op_registry[o]; o++) {
        const bool slowly = strcmp(op_registry[o]->id, "numerics.topk") == 0;
        if (o % 6 != 0 && !slowly) continue; /* all of them take long under Valgrind */
        op_case *x = op_case_from_spec(op_registry[o], &op_registry[o]->cases[0], 1, err, sizeof err);
        ck_assert_msg(x != NULL, "%s", err);
        size_t rounds = 0;
        for (l = shrink_propose(x); l.steps > 0; l = shrink_propose(x), rounds++) {
            ck_assert_msg(rounds < 300, "%s has no end", op_registry[o]->id);
            const size_t take = slowly ? l.steps - 1 : 0; /* the least bold */
            op_case_free(x);
            for (size_t i = 0; i < l.steps; i++) ck_assert_ptr_nonnull(l.step[i].c);
            x = l.step[take].c;
            l.step[take].c = NULL;
            shrink_list_clear(&l);
        }
        op_case_free(x);
    }
}
END_TEST

START_TEST(parameters_go_back_to_their_defaults)
{
    op_case *x = op_case_new(op_find("balance.switch"), "T=3,N=3", "k=3,count=first", err, sizeof err);
    ck_assert_msg(x != NULL, "%s", err);
    for (size_t t = 0; t < 3; t++) op_in(x, "mask")[t] = 1;
    ck_assert_int_eq(op_run(x), SMOE_OK);
    shrink_list l = shrink_propose(x);
    ck_assert_uint_eq((size_t)op_int(step_called(&l, "k=1")->c, "k"), 1);
    ck_assert_uint_eq((size_t)op_int(step_called(&l, "k=2")->c, "k"), 2);
    ck_assert(op_is(step_called(&l, "count=all")->c, "count", "all"));
    ck_assert_msg(!step_called(&l, "N=2"), "three of two experts cannot be chosen");
    for (size_t i = 0; i < l.steps; i++)
        ck_assert_msg(strncmp(l.step[i].what, "mask", 4) != 0, "it is as if it were not there");
    shrink_list_clear(&l);
    op_in(x, "mask")[1] = 0;
    ck_assert_int_eq(op_run(x), SMOE_OK);
    l = shrink_propose(x);
    const shrink_step *ones = step_called(&l, "mask ones");
    ck_assert_ptr_nonnull(ones);
    ck_assert_double_eq(op_in(ones->c, "mask")[1], 1);
    ck_assert_msg(!step_called(&l, "mask zeros") && !step_called(&l, "element 0 of mask 0"),
                  "and becomes nothing else");
    const shrink_step *s = step_called(&l, "every size at most 2");
    ck_assert_msg(s && op_int(s->c, "k") == 2, "k goes with the sizes");
    shrink_list_clear(&l);
    op_case_free(x);
}
END_TEST

START_TEST(a_case_in_words)
{
    op_case *x = op_case_new(op_find("balance.switch"), "T=1,N=2", "k=2,count=first", err, sizeof err);
    ck_assert_msg(x != NULL, "%s", err);
    memcpy(op_in(x, "r"), (const double[]){0.1, -3}, 2 * sizeof(double));
    op_in(x, "mask")[0] = 1;
    char *text = shrink_text(x);
    ck_assert_str_eq(text, "T=1 N=2 count=first\n    r [1,2] = 0.10000000000000001 -3");
    free(text);
    op_in(x, "mask")[0] = 0;
    text = shrink_text(x);
    ck_assert_ptr_nonnull(strstr(text, "\n    mask [1] = 0"));
    free(text);
    op_cot(x, "loss")[0] = 0.5;
    text = shrink_text(x);
    ck_assert_ptr_nonnull(strstr(text, "\n    d_loss = 0.5"));
    free(text);
    op_case_free(x);
}
END_TEST

START_TEST(failures_are_alike_by_their_tensors)
{
    verdict_tensor t[2] = {{.name = (char[]){"y"}, .judged = true, .pass = true},
                           {.name = (char[]){"d_x"}, .judged = true, .pass = false}};
    verdict_tensor u[2] = {{.name = (char[]){"d_x"}, .judged = true, .pass = false},
                           {.name = (char[]){"y"}, .judged = true, .pass = true}};
    verdict_case large = {.tensors = 2, .t = t}, small = {.tensors = 2, .t = u};
    ck_assert(shrink_fails_alike(&large, &small));
    small.pass = true;
    ck_assert_msg(!shrink_fails_alike(&large, &small), "it passes");
    small.pass = false;
    small.fault = (char[]){"the program ended with exit status 1"};
    ck_assert_msg(!shrink_fails_alike(&large, &small), "it did not run");
    small.fault = NULL;
    u[0].judged = false;
    ck_assert_msg(!shrink_fails_alike(&large, &small), "d_x is not there");
    u[0].judged = true;
    small.ties = 1;
    ck_assert_msg(!shrink_fails_alike(&large, &small), "equals in another order are another failure");
    large.ties = 2;
    ck_assert_msg(shrink_fails_alike(&large, &small), "unless they were one before");
    u[0].pass = true;
    u[1].pass = false;
    ck_assert_msg(!shrink_fails_alike(&large, &small), "y is another failure");
}
END_TEST

/* --- a report that is written down ---------------------------------------------------------------------------------- */

static const op_param rich_param[] = {{"k", OP_INT, "2", ""},
                                      {"order", OP_CHOICE, "topk|softmax", ""},
                                      {"scale", OP_REAL, "0.5", ""},
                                      {"mode", OP_CHOICE, "on|off", ""},
                                      {NULL, OP_INT, NULL, NULL}};
static const op_record rich = {.id = "toy.rich",
                               .title = "Rich",
                               .equations = "G.2, G.3",
                               .in = toy_in,
                               .out = toy_out,
                               .param = rich_param,
                               .cases = no_cases};
static const twin_variant alpha = {"toy.gate", "Alpha", "the gate doubled", "twice as much", "here#1"};
static const twin_variant beta = {"toy.gate", "Beta", "the gate halved", "half as much", "there#2"};
static const twin_variant gamma_ = {"toy.gate", "Gamma", "no gate", "nothing", "nowhere"};

static void same_words(const char *got, const char *want)
{
    size_t i = 0;
    while (got[i] && got[i] == want[i]) i++;
    ck_assert_msg(got[i] == want[i], "after '%.*s' there is\n%s\nexpected\n%s", (int)(i < 60 ? i : 60),
                  got + (i < 60 ? 0 : i - 60), got + i, want + i);
}

/* A tensor that is there and judged, with no element outside. */
static verdict_tensor row_of(const char *name, op_kind kind, size_t slot, size_t rows, size_t cols, double ratio)
{
    return (verdict_tensor){.name = (char *)(uintptr_t)name,
                            .kind = kind,
                            .slot = slot,
                            .gradient = strncmp(name, "d_", 2) == 0,
                            .present = true,
                            .owed = true,
                            .judged = true,
                            .pass = true,
                            .rank = cols ? 2 : 1,
                            .dim = {rows, cols},
                            .count = rows * (cols ? cols : 1),
                            .ratio = ratio,
                            .at = 1,
                            .got = 0.25,
                            .golden = 0.5,
                            .bound = 0.125};
}

static char *writable(const char *s) { return (char *)(uintptr_t)s; }

static verdict_tensor told_first[5], told_second[4], told_third[3];
static verdict_match told_match[4];
static char *told_detail[2];
static verdict_case told[5];

/* toy.gate: one that passes, one that equals two variants under its own decision, one without its decision; toy.rich: two programs that ended. */
static report written_report(void)
{
    memset(told, 0, sizeof told);
    told_first[0] = row_of("s", OP_STAGE, S, 2, 4, 0);
    told_first[0].present = told_first[0].judged = told_first[0].owed = false;
    told_first[0].at = 8;
    told_first[1] = row_of("index", OP_DECISION, INDEX, 2, 2, 0);
    told_first[1].at = 4;
    told_first[2] = row_of("weight", OP_BOUNDED, WEIGHT, 2, 2, 0.25);
    told_first[2].vacuous = 1;
    told_first[3] = row_of("load", OP_EXACT, LOAD, 4, 0, 0);
    told_first[4] = row_of("d_r", OP_BOUNDED, 0, 2, 4, 0.5);
    told[0] = (verdict_case){.name = writable("toy.gate.first"),
                             .op = &toy,
                             .sizes = writable("T=2 N=4"),
                             .parameters = writable("k=2"),
                             .pass = true,
                             .tensors = 5,
                             .t = told_first,
                             .tokens = 2,
                             .ambiguous = 1,
                             .vacuous = 1,
                             .worst = 4};
    told_second[0] = told_first[1];
    told_second[1] = row_of("weight", OP_BOUNDED, WEIGHT, 2, 2, 3.5);
    told_second[1].pass = false;
    told_second[1].outside = 2;
    told_second[2] = row_of("load", OP_EXACT, LOAD, 4, 0, 0);
    told_second[3] = row_of("d_r", OP_BOUNDED, 0, 2, 4, 1e-5);
    told_match[0] = (verdict_match){&alpha, 0.5, true};
    told_match[1] = (verdict_match){&beta, 0.75, true};
    told_match[2] = (verdict_match){&gamma_, 0.25, false};
    told_match[3] = (verdict_match){&alpha, 0.5, false};
    told_detail[0] = writable("weight[0,1] is <wrong> & \"off\"");
    told_detail[1] = writable("\tas ever");
    told[1] = (verdict_case){.name = writable("toy.gate.second (seed 4)"),
                             .op = &toy,
                             .sizes = writable("T=2 N=4"),
                             .parameters = writable("k=2"),
                             .tensors = 4,
                             .t = told_second,
                             .tokens = 2,
                             .ambiguous = 1,
                             .differ = 2,
                             .inadmissible = 1,
                             .replayed = true,
                             .worst = 1,
                             .details = 2,
                             .detail = told_detail,
                             .matches = 3,
                             .match = told_match};
    told_third[0] = told_first[1];
    told_third[0].present = told_third[0].judged = false;
    told_third[0].fault = writable("'index' is missing, expected I64 [2,2]");
    told_third[0].pass = false;
    told_third[1] = row_of("weight", OP_BOUNDED, WEIGHT, 2, 2, 123);
    told_third[1].pass = false;
    told_third[1].outside = 1;
    told_third[2] = row_of("d_r", OP_BOUNDED, 0, 2, 4, 2e4);
    told_third[2].pass = false;
    told_third[2].outside = 8;
    told_third[2].factors = factor_bit("2") | factor_bit("K");
    told_third[2].factor = 2;
    told[2] = (verdict_case){.name = writable("toy.gate.third"),
                             .op = &toy,
                             .sizes = writable("T=2 N=4"),
                             .parameters = writable("k=2"),
                             .tensors = 3,
                             .t = told_third,
                             .tokens = 2,
                             .ambiguous = 2,
                             .worst = 0,
                             .matches = 1,
                             .match = told_match + 3};
    told[3] = (verdict_case){.name = writable("toy.rich.left"),
                             .op = &rich,
                             .sizes = writable("T=2"),
                             .parameters = writable("k=3 order=softmax scale=0.5 mode=on"),
                             .fault = writable("toy.rich.left ended with status 4"),
                             .output = writable("one\n\ntwo")};
    told[4] = (verdict_case){.name = writable("toy.rich.right"),
                             .op = &rich,
                             .sizes = writable("T=2"),
                             .parameters = writable(""),
                             .fault = writable("toy.rich.right ended with status 4"),
                             .output = writable("one\n\ntwo")};
    return (report){.version = "9",
                    .suite = "core",
                    .seed = 3,
                    .seeds = 2,
                    .precision = twin_profile_find("bf16"),
                    .forward = true,
                    .cases = 5,
                    .c = told};
}

#define THIRD                                                                                                          \
    " toy.gate.third: toy.gate (G.1), T=2 N=4; k=2\n"                                                                  \
    "    first to depart: weight\n"                                                                                    \
    "    d_r: every failing element equals golden times 2\n"
#define SECOND                                                                                                         \
    " toy.gate.second (seed 4): toy.gate (G.1), T=2 N=4; k=2\n"                                                        \
    "    weight[0,1] is <wrong> & \"off\"\n"                                                                           \
    "    \tas ever\n"                                                                                                  \
    "    judged under its own decision: 2 of 2 tokens chose other experts than golden\n"                               \
    "    first to depart: weight (right before it: index)\n"                                                           \
    "    equals the gate doubled: Alpha; met in here#1; effect: twice as much\n"                                       \
    "    or equals the gate halved: Beta; met in there#2; effect: half as much\n"
#define LEFT                                                                                                           \
    " toy.rich.left: toy.rich (G.2, G.3), T=2; k=3 order=softmax scale=0.5 mode=on\n"                                  \
    "    toy.rich.left ended with status 4\n"                                                                          \
    "    | one\n"                                                                                                      \
    "    | \n"                                                                                                         \
    "    | two\n"

START_TEST(a_text_report_word_by_word)
{
    const report r = written_report();
    size_t n;
    char *text = report_render(&r, REPORT_TEXT, &n);
    same_words(text,
               "5 cases of suite core, seed 3..4, judged at precision bf16 (storage bf16, arithmetic f32, elementary "
               "functions within 4 ulp)\n"
               "\n"
               "toy.gate, 3 cases\n"
               "  tensor           kind       elements worst ratio  vacuous\n"
               "  index            decision         12           -           FAIL in 1 of 3 cases\n"
               "  d_r              gradient         24    2.00e+04           FAIL in 1 of 3 cases\n"
               "  weight           output           12     123.000        1  FAIL in 2 of 3 cases\n"
               "  load             exact             8       0.000           pass\n"
               "  decisions: 4, ambiguous 2, other than golden 2, inadmissible 1\n"
               "toy.rich, 2 cases\n"
               "\n"
               "cases, worst first\n"
               "  FAIL  toy.gate.third                                         -  index\n"
               "  FAIL  toy.rich.left                                          -\n"
               "  FAIL  toy.rich.right                                         -\n"
               "  FAIL  toy.gate.second (seed 4)                           3.500  weight  (2 other decisions)\n"
               "  pass  toy.gate.first                                     0.500  d_r  (1 vacuous)\n"
               "\n"
               "FAIL" THIRD "FAIL" LEFT "    and 1 more case in the same way\n"
               "FAIL" SECOND "\n"
               "toy.gate: all 2 failing cases equal the gate doubled: Alpha; met in here#1; effect: twice as much\n"
               "gradients were not judged (--forward)\n"
               "1 passed, 4 failed\n");
    ck_assert_uint_eq(n, strlen(text));
    free(text);
}
END_TEST

START_TEST(a_coloured_report_word_by_word)
{
    report r = written_report();
    char *text = NULL;
    size_t n;
    r.cases = 1;
    r.seeds = 1;
    r.forward = false;
    FILE *f = open_memstream(&text, &n);
    ck_assert_ptr_nonnull(f);
    report_print(f, &r, false, true);
    fclose(f);
    same_words(text,
               "1 case of suite core, seed 3, judged at precision bf16 (storage bf16, arithmetic f32, elementary "
               "functions within 4 ulp)\n"
               "\n"
               "\033[1mtoy.gate\033[0m, 1 case\n"
               "  tensor           kind       elements worst ratio  vacuous\n"
               "  d_r              gradient          8       0.500           \033[32mpass\033[0m\n"
               "  weight           output            4       0.250        1  \033[32mpass\033[0m\n"
               "  index            decision          4           -           \033[32mpass\033[0m\n"
               "  load             exact             4       0.000           \033[32mpass\033[0m\n"
               "  decisions: 2, ambiguous 1, other than golden 0, inadmissible 0\n"
               "\n"
               "\033[1mcases, worst first\033[0m\n"
               "  \033[32mpass\033[0m  toy.gate.first                                     0.500  d_r  (1 vacuous)\n"
               "\n"
               "\033[32m1 passed, 0 failed\033[0m\n");
    free(text);
    r = written_report();
    r.c = told + 3;
    r.cases = 1;
    twin_profile apart = *r.precision;
    apart.apart = true;
    apart.elementary_ulp = 0.5;
    r.precision = &apart;
    f = open_memstream(&text, &n);
    ck_assert_ptr_nonnull(f);
    report_print(f, &r, true, true);
    fclose(f);
    same_words(text, "\033[31mFAIL\033[0m \033[1mtoy.rich.left\033[0m: toy.rich (G.2, G.3), T=2; k=3 order=softmax "
                     "scale=0.5 mode=on\n"
                     "    toy.rich.left ended with status 4\n"
                     "    | one\n"
                     "    | \n"
                     "    | two\n"
                     "\n"
                     "gradients were not judged (--forward)\n"
                     "judged at precision bf16 (storage bf16, arithmetic f32, elementary functions within 0.5 ulp)\n"
                     "\033[31m0 passed, 1 failed\033[0m\n");
    free(text);
}
END_TEST

START_TEST(a_tap_report_word_by_word)
{
    const report r = written_report();
    size_t n;
    char *text = report_render(&r, REPORT_TAP, &n);
    same_words(text, "TAP version 13\n"
                     "# precision bf16 (storage bf16, arithmetic f32, elementary functions within 4 ulp)\n"
                     "1..5\n"
                     "ok 1 - toy.gate.first (toy.gate)\n"
                     "not ok 2 - toy.gate.second (seed 4) (toy.gate)\n"
                     "# FAIL toy.gate.second (seed 4): toy.gate (G.1), T=2 N=4; k=2\n"
                     "#     weight[0,1] is <wrong> & \"off\"\n"
                     "#     \tas ever\n"
                     "#     judged under its own decision: 2 of 2 tokens chose other experts than golden\n"
                     "#     first to depart: weight (right before it: index)\n"
                     "#     equals the gate doubled: Alpha; met in here#1; effect: twice as much\n"
                     "#     or equals the gate halved: Beta; met in there#2; effect: half as much\n"
                     "not ok 3 - toy.gate.third (toy.gate)\n"
                     "# FAIL toy.gate.third: toy.gate (G.1), T=2 N=4; k=2\n"
                     "#     first to depart: weight\n"
                     "#     d_r: every failing element equals golden times 2\n"
                     "not ok 4 - toy.rich.left (toy.rich)\n"
                     "# FAIL toy.rich.left: toy.rich (G.2, G.3), T=2; k=3 order=softmax scale=0.5 mode=on\n"
                     "#     toy.rich.left ended with status 4\n"
                     "#     | one\n"
                     "#     | \n"
                     "#     | two\n"
                     "not ok 5 - toy.rich.right (toy.rich)\n"
                     "# FAIL toy.rich.right: toy.rich (G.2, G.3), T=2\n"
                     "#     toy.rich.right ended with status 4\n"
                     "#     | one\n"
                     "#     | \n"
                     "#     | two\n"
                     "# toy.gate the gate doubled: Alpha; met in here#1; effect: twice as much\n"
                     "# gradients were not judged (--forward)\n"
                     "# 1 passed, 4 failed\n");
    free(text);
}
END_TEST

START_TEST(an_xml_report_word_by_word)
{
    const report r = written_report();
    size_t n;
    char *text = report_render(&r, REPORT_XML, &n);
    same_words(text, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                     "<testsuites name=\"smoeref, outputs only\" tests=\"5\" failures=\"4\">\n"
                     "  <testsuite name=\"toy.gate\" tests=\"3\" failures=\"2\" errors=\"0\" skipped=\"0\">\n"
                     "    <properties><property name=\"precision\" value=\"bf16 (storage bf16, arithmetic f32, "
                     "elementary functions within 4 ulp)\"/></properties>\n"
                     "    <testcase classname=\"smoeref.bf16.toy.gate\" name=\"toy.gate.first\"/>\n"
                     "    <testcase classname=\"smoeref.bf16.toy.gate\" name=\"toy.gate.second (seed 4)\">\n"
                     "      <failure type=\"verdict\" message=\"weight[0,1] is &lt;wrong&gt; &amp; "
                     "&quot;off&quot;\">FAIL toy.gate.second (seed 4): toy.gate (G.1), T=2 N=4; k=2&#10;"
                     "    weight[0,1] is &lt;wrong&gt; &amp; &quot;off&quot;&#10;    &#9;as ever&#10;"
                     "    judged under its own decision: 2 of 2 tokens chose other experts than golden&#10;    first "
                     "to depart: weight (right before it: index)&#10;"
                     "    equals the gate doubled: Alpha; met in here#1; effect: twice as much&#10;    or equals the "
                     "gate halved: Beta; met in there#2; effect: half as much&#10;</failure>\n"
                     "    </testcase>\n"
                     "    <testcase classname=\"smoeref.bf16.toy.gate\" name=\"toy.gate.third\">\n"
                     "      <failure type=\"verdict\" message=\"weight\">FAIL toy.gate.third: toy.gate (G.1), T=2 N=4; "
                     "k=2&#10;    first to depart: weight&#10;"
                     "    d_r: every failing element equals golden times 2&#10;</failure>\n"
                     "    </testcase>\n"
                     "  </testsuite>\n"
                     "  <testsuite name=\"toy.rich\" tests=\"2\" failures=\"2\" errors=\"0\" skipped=\"0\">\n"
                     "    <properties><property name=\"precision\" value=\"bf16 (storage bf16, arithmetic f32, "
                     "elementary functions within 4 ulp)\"/></properties>\n"
                     "    <testcase classname=\"smoeref.bf16.toy.rich\" name=\"toy.rich.left\">\n"
                     "      <failure type=\"verdict\" message=\"toy.rich.left ended with status 4\">FAIL "
                     "toy.rich.left: toy.rich (G.2, G.3), T=2; k=3 order=softmax scale=0.5 mode=on&#10;"
                     "    toy.rich.left ended with status 4&#10;    | one&#10;    | &#10;    | two&#10;</failure>\n"
                     "    </testcase>\n"
                     "    <testcase classname=\"smoeref.bf16.toy.rich\" name=\"toy.rich.right\">\n"
                     "      <failure type=\"verdict\" message=\"toy.rich.right ended with status 4\">FAIL "
                     "toy.rich.right: toy.rich (G.2, G.3), T=2&#10;"
                     "    toy.rich.right ended with status 4&#10;    | one&#10;    | &#10;    | two&#10;</failure>\n"
                     "    </testcase>\n"
                     "  </testsuite>\n"
                     "</testsuites>\n");
    free(text);
}
END_TEST

/* Is the JSON text the one of these rows, in which ' stands for ", and @ for '? */
static void same_json(const char *text, const char *const *want)
{
    static char quoted[8192];
    json_error_t e;
    size_t at = 0;
    for (; *want; want++) at += (size_t)snprintf(quoted + at, sizeof quoted - at, "%s", *want);
    ck_assert_uint_lt(at, sizeof quoted);
    for (char *p = quoted; *p; p++)
        if (*p == '\'')
            *p = '"';
        else if (*p == '@')
            *p = '\'';
    json_t *a = json_loads(text, JSON_REJECT_DUPLICATES, &e), *b;
    ck_assert_msg(a != NULL, "%s", e.text);
    b = json_loads(quoted, JSON_REJECT_DUPLICATES, &e);
    ck_assert_msg(b != NULL, "%s at %d", e.text, e.position);
    if (!json_equal(a, b)) {
        char *x = json_dumps(a, JSON_INDENT(1) | JSON_SORT_KEYS), *y = json_dumps(b, JSON_INDENT(1) | JSON_SORT_KEYS);
        same_words(x, y);
        ck_abort_msg("they differ in the type of a number");
    }
    json_decref(a);
    json_decref(b);
}

START_TEST(a_json_report_value_by_value)
{
    const report r = written_report();
    size_t n;
    char *text = report_render(&r, REPORT_JSON, &n);
    static const char *const want[] = {
        "{'smoeref':'9','suite':'core','seed':3,'seeds':2,'forward':true,'precision':'bf16','passed':1,",
        "'failed':4,'power':null,'roundoff':{'storage':'bf16','arithmetic':'f32','elementary_ulp':4.0},",
        "'operations':[{'op':'toy.gate','cases':3,'failed':2,'equals':[{'class':'Alpha',",
        "'formula':'the gate doubled','effect':'twice as much','met':'here#1'}],'parts':[],",
        "'factors':[{'tensor':'d_r','factors':['2','K']}]},{'op':'toy.rich','cases':2,'failed':2,'equals':[],",
        "'parts':[],'factors':[]}],'cases':[{'name':'toy.gate.first','op':'toy.gate','sizes':'T=2 N=4',",
        "'parameters':'k=2','pass':true,'fault':null,'output':null,'decisions':{'taken':2,'ambiguous':1,",
        "'other':0,'inadmissible':0},'replayed':false,'first_to_depart':null,'details':[],'equals':[],",
        "'tensors':[{'name':'s','kind':'stage','pass':true,'present':false,'judged':false,'fault':null,",
        "'shape':[2,4],'outside':0,'vacuous':0,'ratio':null,'worst':null,'factors':[]},{'name':'index',",
        "'kind':'decision','pass':true,'present':true,'judged':true,'fault':null,'shape':[2,2],'outside':0,",
        "'vacuous':0,'ratio':null,'worst':null,'factors':[]},{'name':'weight','kind':'output','pass':true,",
        "'present':true,'judged':true,'fault':null,'shape':[2,2],'outside':0,'vacuous':1,'ratio':0.25,",
        "'worst':{'index':[0,1],'got':0.25,'golden':0.5,'bound':0.125},'factors':[]},{'name':'load',",
        "'kind':'exact','pass':true,'present':true,'judged':true,'fault':null,'shape':[4],'outside':0,",
        "'vacuous':0,'ratio':0.0,'worst':{'index':[1],'got':0.25,'golden':0.5,'bound':0.125},'factors':[]},",
        "{'name':'d_r','kind':'gradient','pass':true,'present':true,'judged':true,'fault':null,'shape':[2,4],",
        "'outside':0,'vacuous':0,'ratio':0.5,'worst':{'index':[0,1],'got':0.25,'golden':0.5,'bound':0.125},",
        "'factors':[]}]},{'name':'toy.gate.second (seed 4)','op':'toy.gate','sizes':'T=2 N=4',",
        "'parameters':'k=2','pass':false,'fault':null,'output':null,'decisions':{'taken':2,'ambiguous':1,",
        "'other':2,'inadmissible':1},'replayed':true,'first_to_depart':'weight',",
        "'details':['weight[0,1] is <wrong> & \\\"off\\\"','\\tas ever'],'equals':[{'class':'Alpha',",
        "'formula':'the gate doubled','effect':'twice as much','met':'here#1'},{'class':'Beta',",
        "'formula':'the gate halved','effect':'half as much','met':'there#2'}],'tensors':[{'name':'index',",
        "'kind':'decision','pass':true,'present':true,'judged':true,'fault':null,'shape':[2,2],'outside':0,",
        "'vacuous':0,'ratio':null,'worst':null,'factors':[]},{'name':'weight','kind':'output','pass':false,",
        "'present':true,'judged':true,'fault':null,'shape':[2,2],'outside':2,'vacuous':0,'ratio':3.5,",
        "'worst':{'index':[0,1],'got':0.25,'golden':0.5,'bound':0.125},'factors':[]},{'name':'load',",
        "'kind':'exact','pass':true,'present':true,'judged':true,'fault':null,'shape':[4],'outside':0,",
        "'vacuous':0,'ratio':0.0,'worst':{'index':[1],'got':0.25,'golden':0.5,'bound':0.125},'factors':[]},",
        "{'name':'d_r','kind':'gradient','pass':true,'present':true,'judged':true,'fault':null,'shape':[2,4],",
        "'outside':0,'vacuous':0,'ratio':1e-5,'worst':{'index':[0,1],'got':0.25,'golden':0.5,'bound':0.125},",
        "'factors':[]}]},{'name':'toy.gate.third','op':'toy.gate','sizes':'T=2 N=4','parameters':'k=2',",
        "'pass':false,'fault':null,'output':null,'decisions':{'taken':2,'ambiguous':2,'other':0,",
        "'inadmissible':0},'replayed':false,'first_to_depart':'weight','details':[],'equals':[],",
        "'tensors':[{'name':'index','kind':'decision','pass':false,'present':false,'judged':false,",
        "'fault':'@index@ is missing, expected I64 [2,2]','shape':[2,2],'outside':0,'vacuous':0,'ratio':null,",
        "'worst':null,'factors':[]},{'name':'weight','kind':'output','pass':false,'present':true,",
        "'judged':true,'fault':null,'shape':[2,2],'outside':1,'vacuous':0,'ratio':123.0,",
        "'worst':{'index':[0,1],'got':0.25,'golden':0.5,'bound':0.125},'factors':[]},{'name':'d_r',",
        "'kind':'gradient','pass':false,'present':true,'judged':true,'fault':null,'shape':[2,4],'outside':8,",
        "'vacuous':0,'ratio':2e4,'worst':{'index':[0,1],'got':0.25,'golden':0.5,'bound':0.125},",
        "'factors':['2','K']}]},{'name':'toy.rich.left','op':'toy.rich','sizes':'T=2',",
        "'parameters':'k=3 order=softmax scale=0.5 mode=on','pass':false,",
        "'fault':'toy.rich.left ended with status 4','output':'one\\n\\ntwo','decisions':{'taken':0,",
        "'ambiguous':0,'other':0,'inadmissible':0},'replayed':false,'first_to_depart':null,'details':[],",
        "'equals':[],'tensors':[]},{'name':'toy.rich.right','op':'toy.rich','sizes':'T=2','parameters':'',",
        "'pass':false,'fault':'toy.rich.right ended with status 4','output':'one\\n\\ntwo',",
        "'decisions':{'taken':0,'ambiguous':0,'other':0,'inadmissible':0},'replayed':false,",
        "'first_to_depart':null,'details':[],'equals':[],'tensors':[]}]}",
        NULL};
    same_json(text, want);
    free(text);
}
END_TEST

/* --- what explains many cases ----------------------------------------------------------------------------------------- */

enum { CASES = 16 };
static verdict_tensor many_t[CASES];
static verdict_match many_match[CASES][3];
static verdict_case many[CASES];
static char many_name[CASES][32];

/* n failing cases of an operation; of each the variants that it agrees with (NULL: none), and the factors. */
static report failing_cases(const op_record *op, size_t n)
{
    memset(many, 0, sizeof many);
    memset(many_match, 0, sizeof many_match);
    for (size_t i = 0; i < n; i++) {
        snprintf(many_name[i], sizeof many_name[i], "%s.case%zu", op->id, i);
        many_t[i] = row_of("weight", OP_BOUNDED, WEIGHT, 2, 2, 8);
        many_t[i].pass = false;
        many[i] = (verdict_case){.name = many_name[i],
                                 .op = op,
                                 .sizes = writable("T=2"),
                                 .parameters = writable(""),
                                 .tensors = 1,
                                 .t = &many_t[i],
                                 .match = many_match[i]};
    }
    return (report){.version = "9",
                    .suite = "core",
                    .seed = 1,
                    .seeds = 1,
                    .precision = twin_profile_find("f32"),
                    .cases = n,
                    .c = many};
}

static void agrees(size_t i, const twin_variant *w, bool tells_it)
{
    many_match[i][many[i].matches++] = (verdict_match){w, 0.5, tells_it};
}

static void has_factor(size_t i, const char *name, double value)
{
    many_t[i].factors |= factor_bit(name);
    many_t[i].factor = value;
}

static void explanations_are(const report *r, const char *want)
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    ck_assert_ptr_nonnull(f);
    report_print_explanations(f, r);
    fclose(f);
    same_words(text, want);
    free(text);
}

START_TEST(explanations_word_by_word)
{
    report r = failing_cases(&toy, 1);
    explanations_are(&r, "toy.gate: no known wrong variant explains the failing case\n");
    agrees(0, &alpha, false);
    explanations_are(&r, "toy.gate: no known wrong variant explains the failing case\n");
    agrees(0, &beta, true);
    explanations_are(
        &r, "toy.gate: the 1 failing case equals the gate halved: Beta; met in there#2; effect: half as much\n");
    agrees(0, &gamma_, true);
    explanations_are(&r,
                     "toy.gate: the 1 failing case equals the gate halved: Beta; met in there#2; effect: half as much\n"
                     "    or equal no gate: Gamma; met in nowhere; effect: nothing\n");
    r = failing_cases(&toy, 3);
    many[1].pass = many_t[1].pass = true; /* of those that pass nothing is asked */
    explanations_are(&r, "toy.gate: no known wrong variant explains all failing cases\n");
    many[1].pass = many_t[1].pass = false;
    agrees(0, &alpha, false);
    agrees(1, &alpha, false);
    agrees(2, &alpha, true);
    explanations_are(
        &r, "toy.gate: all 3 failing cases equal the gate doubled: Alpha; met in here#1; effect: twice as much\n");
    for (size_t i = 0; i < 3; i++) many[i].narrow = true;
    explanations_are(
        &r,
        "toy.gate: all 3 failing cases equal the gate doubled: Alpha; met in here#1; effect: twice as much\n"
        "    every number of the failing answers is a float32 number: if that is your precision, --precision f32\n");
    many[2].narrow = false;
    many[2].pass = many_t[2].pass = true;
    explanations_are(
        &r,
        "toy.gate: no known wrong variant explains all failing cases\n"
        "    every number of the failing answers is a float32 number: if that is your precision, --precision f32\n");
}
END_TEST

/* A loss is made of the other outputs, wherever it is listed. */
START_TEST(what_departs_first_is_told)
{
    static const struct {
        bool fraction, loss, share, gradient; /* which fail */
        const char *want;
    } row[] = {
        {true, true, true, true, "    first to depart: fraction\n"},
        {false, true, true, false, "    first to depart: share (right before it: fraction)\n"},
        {false, true, false, false, "    first to depart: loss (right before it: fraction, share)\n"},
        {false, true, false, true, "    first to depart: loss (right before it: fraction, share)\n"},
        {false, false, false, true, "    first to depart: the gradient d_r (right before it: fraction, loss, share)\n"},
        {false, false, false, false, ""},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        verdict_tensor t[4] = {row_of("fraction", OP_BOUNDED, 0, 2, 0, 0), row_of("loss", OP_BOUNDED, 1, 1, 0, 0),
                               row_of("share", OP_BOUNDED, 2, 2, 0, 0), row_of("d_r", OP_BOUNDED, 0, 2, 2, 0)};
        t[0].pass = !row[i].fraction;
        t[1].pass = !row[i].loss;
        t[2].pass = !row[i].share;
        t[3].pass = !row[i].gradient;
        const verdict_case one = {.name = writable("x"),
                                  .op = &toy,
                                  .sizes = writable("T=2"),
                                  .parameters = writable(""),
                                  .tensors = 4,
                                  .t = t};
        char *text = NULL, want[200];
        size_t n;
        FILE *f = open_memstream(&text, &n);
        ck_assert_ptr_nonnull(f);
        report_print_failure(f, &one);
        fclose(f);
        snprintf(want, sizeof want, "FAIL x: toy.gate (G.1), T=2\n%s", row[i].want);
        same_words(text, want);
        free(text);
    }
}
END_TEST

/* Those that tell first, then the smaller ratio, then as they came. */
START_TEST(matches_are_kept_in_order)
{
    static const verdict_match m[] = {{&alpha, 0.5, false}, {&beta, 0.5, true},   {&gamma_, 0.25, false},
                                      {&alpha, 0.25, true}, {&gamma_, 0.5, true}, {&beta, 0.25, false},
                                      {&beta, 0.125, true}, {&alpha, 1, false}};
    static const size_t want[] = {6, 3, 1, 4, 2, 5, 0, 7};
    for (size_t i = 0; i < 8; i++) diagnose_add(&v, m[i]);
    ck_assert_uint_eq(v.matches, 8);
    for (size_t i = 0; i < 8; i++)
        ck_assert_msg(v.match[i].variant == m[want[i]].variant && v.match[i].ratio == m[want[i]].ratio &&
                          v.match[i].tells == m[want[i]].tells,
                      "match %zu", i);
}
END_TEST

START_TEST(tap_names_every_variant_that_explains)
{
    const report r = failing_cases(&toy, 1);
    agrees(0, &alpha, true);
    agrees(0, &beta, true);
    size_t n;
    char *text = report_render(&r, REPORT_TAP, &n);
    ck_assert_ptr_nonnull(strstr(text, "\n# toy.gate the gate doubled: Alpha; met in here#1; effect: twice as much\n"
                                       "# toy.gate the gate halved: Beta; met in there#2; effect: half as much\n"));
    free(text);
}
END_TEST

START_TEST(of_one_case_no_share_is_told)
{
    report r = failing_cases(&toy, 2);
    size_t n;
    char *text = report_render(&r, REPORT_TEXT, &n);
    ck_assert_ptr_nonnull(strstr(text, "  FAIL in 2 of 2 cases\n"));
    free(text);
    r.cases = 1;
    text = report_render(&r, REPORT_TEXT, &n);
    ck_assert_msg(strstr(text, "  FAIL\n") != NULL && !strstr(text, " in 1 of 1"), "%s", text);
    free(text);
}
END_TEST

START_TEST(the_smallest_case_is_pointed_at)
{
    report r = failing_cases(&toy, 4);
    many[3].op = &rich;
    many[3].shrunk = true;
    explanations_are(&r, "toy.gate: no known wrong variant explains all failing cases\n"
                         "toy.rich: no known wrong variant explains the failing case\n"
                         "    the smallest case found that fails so is shown under toy.gate.case3\n");
    many[2].shrunk = true;
    many[0].shrunk = true;
    explanations_are(&r, "toy.gate: no known wrong variant explains all failing cases\n"
                         "    the smallest case found that fails so is shown under toy.gate.case0\n"
                         "    the smallest case found that fails so is shown under toy.gate.case2\n"
                         "toy.rich: no known wrong variant explains the failing case\n"
                         "    the smallest case found that fails so is shown under toy.gate.case3\n");
}
END_TEST

START_TEST(parts_word_by_word)
{
    report r = failing_cases(&toy, 16);
    agrees(0, &beta, true); /* beta: 0, 1; alpha: 1, 2, 3; gamma: 4, where it does not tell */
    agrees(1, &beta, true);
    agrees(1, &alpha, true);
    agrees(2, &alpha, false);
    agrees(3, &alpha, false);
    agrees(4, &gamma_, false);
    strcpy(many_name[15], "toy.gated");
    explanations_are(
        &r, "toy.gate: 3 of 16 failing cases equal the gate doubled: Alpha; met in here#1; effect: twice as much\n"
            "    1 of 16 failing cases equals the gate halved: Beta; met in there#2; effect: half as much\n"
            "    the other 12: case4, case5, case6, case7, case8, case9, case10, case11, case12, case13, case14, "
            "toy.gated\n");
    many[3].matches = 0;
    explanations_are(
        &r, "toy.gate: 2 of 16 failing cases equal the gate halved: Beta; met in there#2; effect: half as much\n"
            "    the other 14: case2, case3, case4, case5, case6, case7, case8, case9, case10, case11, case12, case13 "
            "and 2 more\n");
    report_explanation *e = report_explain(&r, 0);
    ck_assert(e->variants == 0 && e->parts == 2 && e->part[0].variant == &beta && e->part[0].cases == 2 &&
              !e->part[1].variant && e->part[1].cases == 14);
    ck_assert(e->part[0].c[0] == &many[0] && e->part[0].c[1] == &many[1] && e->part[1].c[0] == &many[2] &&
              e->part[1].c[13] == &many[15]);
    ck_assert(e->cases == 16 && e->failed == 16 && e->with_values == 16 && !e->factored && e->op == &toy);
    report_explanation_free(e);
    r.cases = 3;
    char *text = NULL;
    size_t n;
    text = report_render(&r, REPORT_JSON, &n);
    json_t *o = json_loads(text, 0, NULL),
           *parts = json_object_get(json_array_get(json_object_get(o, "operations"), 0), "parts");
    char *said = json_dumps(parts, JSON_COMPACT | JSON_SORT_KEYS);
    ck_assert_str_eq(said, "[{\"cases\":[\"toy.gate.case0\",\"toy.gate.case1\"],\"equals\":{\"class\":\"Beta\","
                           "\"effect\":\"half as much\",\"formula\":\"the gate halved\",\"met\":\"there#2\"}},"
                           "{\"cases\":[\"toy.gate.case2\"],\"equals\":null}]");
    free(said);
    json_decref(o);
    free(text);
    text = report_render(&r, REPORT_TAP, &n);
    ck_assert_ptr_nonnull(
        strstr(text, "\n# toy.gate: 2 of 3 failing cases equal the gate halved: Beta; met in there#2; effect: half as "
                     "much\n#     the other 1: case2\n# 0 passed, 3 failed\n"));
    free(text);
}
END_TEST

START_TEST(factors_word_by_word)
{
    report r = failing_cases(&toy, 1);
    has_factor(0, "1/N", 0.25);
    explanations_are(&r, "toy.gate: no known wrong variant explains the failing case\n"
                         "    weight: golden times 1/N, in the one case where it fails\n");
    has_factor(0, "1/(T*K)", 0.25);
    explanations_are(&r, "toy.gate: no known wrong variant explains the failing case\n"
                         "    weight: golden times 1/4, in the one case where it fails\n");
    r = failing_cases(&toy, 3);
    for (size_t i = 0; i < 3; i++) has_factor(i, "1/K", 1.0 / (double)(i + 2));
    for (size_t i = 0; i < 3; i++) has_factor(i, "1/T", 1.0 / (double)(i + 2));
    explanations_are(&r, "toy.gate: no known wrong variant explains all failing cases\n"
                         "    weight: golden times 1/K, in all 3 cases where it fails\n");
    for (size_t i = 0; i < 3; i++) many_t[i].factors = 0;
    for (size_t i = 0; i < 3; i++) has_factor(i, "0", 0);
    for (size_t i = 0; i < 3; i++) many_t[i].zeros = true;
    explanations_are(&r, "toy.gate: no known wrong variant explains all failing cases\n"
                         "    weight: golden times 0 (all are exactly 0), in all 3 cases where it fails\n");
    many_t[1].zeros = false;
    explanations_are(&r, "toy.gate: no known wrong variant explains all failing cases\n"
                         "    weight: golden times 0, in all 3 cases where it fails\n");
    for (size_t n = 2; n <= 7; n++) { /* two of n: told unless fewer than a third; one is never told */
        r = failing_cases(&toy, n);
        has_factor(0, "2", 2);
        has_factor(1, "1/(N*N)", 1.0 / 16);
        explanations_are(&r, "toy.gate: no known wrong variant explains all failing cases\n");
        has_factor(n - 1, "1/(N*N)", 1.0 / 16);
        char want[200];
        snprintf(want, sizeof want, "    weight: golden times 1/(N*N), in 2 of the %zu cases where it fails\n", n);
        char line[300];
        snprintf(line, sizeof line, "toy.gate: no known wrong variant explains all failing cases\n%s",
                 n > 2 && n < 7 ? want : "");
        explanations_are(&r, line);
    }
}
END_TEST

/* Where a bound is wide several numbers explain: the first of them is told, and no size beside it, whatever it came to. */
START_TEST(of_several_factors_a_number_is_told)
{
    static const struct {
        const char *number, *other, *size; /* other: NULL, if one number alone explains */
        double value;
        const char *want;
    } row[] = {{"0", "1/2", "1/N", 0, "0"},  {"-1", "1/2", "1/K", -1, "-1"},   {"-1", NULL, "K/N", NAN, "-1"},
               {"2", NULL, "N/K", NAN, "2"}, {"1/2", NULL, "1/T", NAN, "1/2"}, {"0", NULL, "1/N", NAN, "0"}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char want[200];
        report r = failing_cases(&toy, 2);
        for (size_t k = 0; k < 2;
             k++) { /* NAN: not the same number in both, since a wide bound let another explain first */
            const double value = isnan(row[i].value) ? (double)k : row[i].value;
            has_factor(k, row[i].size, value);
            has_factor(k, row[i].number, value);
            if (row[i].other) has_factor(k, row[i].other, value);
        }
        snprintf(want, sizeof want,
                 "toy.gate: no known wrong variant explains all failing cases\n"
                 "    weight: golden times %s, in all 2 cases where it fails\n",
                 row[i].want);
        explanations_are(&r, want);
    }
}
END_TEST

/* A factor that explains more cases than any variant is told first. */
START_TEST(a_factor_that_explains_more_leads)
{
    report r = failing_cases(&toy, 4);
    agrees(0, &alpha, true);
    agrees(1, &alpha, true);
    has_factor(2, "2", 2);
    has_factor(3, "2", 2);
    explanations_are(
        &r, "toy.gate: 2 of 4 failing cases equal the gate doubled: Alpha; met in here#1; effect: twice as much\n"
            "    the other 2: case2, case3\n"
            "    weight: golden times 2, in 2 of the 4 cases where it fails\n");
    has_factor(1, "2", 2);
    explanations_are(&r,
                     "toy.gate: weight: golden times 2, in 3 of the 4 cases where it fails\n"
                     "    2 of 4 failing cases equal the gate doubled: Alpha; met in here#1; effect: twice as much\n"
                     "    the other 2: case2, case3\n");
    agrees(2, &alpha, true);
    agrees(3, &alpha, true);
    explanations_are(
        &r, "toy.gate: all 4 failing cases equal the gate doubled: Alpha; met in here#1; effect: twice as much\n");
}
END_TEST

START_TEST(parameters_away_from_their_defaults_are_told)
{
    report r = failing_cases(&rich, 4);
    static const char *const said = "toy.rich: no known wrong variant explains all failing cases\n";
    char want[400];
    many[0].parameters = writable("k=5 order=topk scale=0.5 mode=on"); /* k is no variant */
    many[1].parameters = writable("k=2 order=softmax scale=0.5 mode=on");
    many[2].parameters = writable("k=2 order=topk scale=0.25 mode=off");
    many[3].parameters = writable("k=2 order=topk-x scale=0.5 mode=on");
    snprintf(want, sizeof want,
             "%s    3 of these set order, scale or mode: if your code has no such variants, --defaults or --where "
             "leaves them out\n",
             said);
    explanations_are(&r, want);
    many[1].pass = many_t[1].pass = true;
    many[3].fault = writable("it ended");
    snprintf(want, sizeof want,
             "%s    1 of these sets scale or mode: if your code has no such variants, --defaults or --where leaves "
             "them out\n",
             said);
    explanations_are(&r, want);
    for (size_t i = 0; i < 4; i++)
        many[i].parameters = writable("k=2 order=softmax scale=0.5 mode=on"); /* has been asked for */
    explanations_are(&r, said);
    many[0].parameters = writable("k=2 order=softmax scale=0.75 mode=on");
    many[3].fault = NULL;
    snprintf(want, sizeof want,
             "%s    1 of these sets scale: if your code has no such variants, --defaults or --where leaves them out\n",
             said);
    explanations_are(&r, want);
    many[2].parameters = writable("k=2 order=softmax scale=1 mode=off");
    snprintf(want, sizeof want,
             "%s    2 of these set scale or mode: if your code has no such variants, --defaults or --where leaves them "
             "out\n",
             said);
    explanations_are(&r, want);
}
END_TEST

/* The same where the first parameter is no k. */
START_TEST(the_first_parameter_is_told_too)
{
    static op_record mode;
    mode = rich;
    mode.param = rich_param + 1;
    report r = failing_cases(&mode, 2);
    many[0].parameters = writable("order=softmax scale=0.5 mode=on");
    many[1].parameters = writable("order=topk scale=0.5 mode=on");
    explanations_are(&r, "toy.rich: no known wrong variant explains all failing cases\n"
                         "    1 of these sets order: if your code has no such variants, --defaults or --where leaves "
                         "them out\n");
    many[1].parameters = many[0].parameters;
    explanations_are(&r, "toy.rich: no known wrong variant explains all failing cases\n");
    many[1].op = &toy; /* of another operation: what all of this one set has been asked for */
    many[1].parameters = writable("k=2");
    explanations_are(&r, "toy.rich: no known wrong variant explains the failing case\n"
                         "toy.gate: no known wrong variant explains the failing case\n");
}
END_TEST

static void power_is(const report *r, const char *want)
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    ck_assert_ptr_nonnull(f);
    report_print_power(f, r);
    fclose(f);
    same_words(text, want);
    free(text);
}

static bool *exposed_of(bool *exposed, const char *op, const char *name)
{
    for (size_t i = 0; twin_variants[i].op; i++)
        if (strcmp(twin_variants[i].op, op) == 0 && strcmp(twin_variants[i].name, name) == 0) return &exposed[i];
    ck_abort_msg("no variant %s of %s", name, op);
    return exposed;
}

/* numerics.gelu: GeluTanh and GeluErf, neither of which bf16 shows; numerics.softplus: SoftplusThreshold, which only f64 shows. */
START_TEST(power_word_by_word)
{
    static bool exposed[TWIN_VARIANTS];
    const op_record *gelu = op_find("numerics.gelu"), *softplus = op_find("numerics.softplus");
    report r = failing_cases(gelu, 3);
    many[1].op = softplus;
    power_is(&r, "");
    r.exposed = exposed;
    r.precision = twin_profile_find("f64");
    power_is(&r, "power: of 3 known wrong variants of these operations, these cases expose 0 at f64; not GeluTanh of "
                 "numerics.gelu, GeluErf of numerics.gelu, "
                 "SoftplusThreshold of numerics.softplus\n");
    r.selected = true;
    *exposed_of(exposed, "numerics.gelu", "GeluErf") = true;
    power_is(
        &r, "power: of 3 known wrong variants of these operations, these cases expose 1 at f64; not GeluTanh of "
            "numerics.gelu, "
            "SoftplusThreshold of numerics.softplus (some may be mistakes in what --where or --defaults leaves out)\n");
    r.precision = twin_profile_find("bf16");
    power_is(&r, "power: of 3 known wrong variants of these operations, these cases expose 1 at bf16\n"
                 "    bf16 cannot show GeluTanh of numerics.gelu: the two forms differ by 5e-4 at most; erf near -1 "
                 "stored in bf16 is uncertain by 2e-3\n"
                 "    bf16 cannot show SoftplusThreshold of numerics.softplus: e^-20 = 2e-9 is less than half a unit "
                 "in the last place of 20, 1/16\n");
    r.cases = 1;
    size_t n;
    char *text = report_render(&r, REPORT_JSON, &n);
    json_t *o = json_loads(text, 0, NULL);
    char *said = json_dumps(json_object_get(o, "power"), JSON_COMPACT | JSON_SORT_KEYS);
    ck_assert_str_eq(said, "[{\"class\":\"GeluTanh\",\"exposed\":false,\"invisible\":\"the two forms differ by 5e-4 at "
                           "most; erf near -1 stored in bf16 is uncertain by 2e-3\",\"op\":\"numerics.gelu\"},"
                           "{\"class\":\"GeluErf\",\"exposed\":true,\"invisible\":\"the two forms differ by 5e-4 at "
                           "most; 1 + tanh near 0 stored in bf16 is uncertain by 2e-3\",\"op\":\"numerics.gelu\"}]");
    free(said);
    json_decref(o);
    free(text);
    many[0].op = op_find("similarity.hsic"); /* one that similarity.kernel cannot show either, for another reason */
    char *power = NULL;
    FILE *f = open_memstream(&power, &n);
    ck_assert_ptr_nonnull(f);
    report_print_power(f, &r);
    fclose(f);
    ck_assert_ptr_nonnull(strstr(power, "    bf16 cannot show BandwidthDetached of similarity.hsic: exponents that are "
                                        "stored in bf16 at each step are uncertain by 1 in 15, and HSIC by a third of "
                                        "itself or more\n"));
    free(power);
    many[0].op = gelu;
    twin_profile apart = *r.precision; /* what a format cannot show other roundoffs may */
    apart.apart = true;
    r.precision = &apart;
    power_is(&r, "power: of 2 known wrong variants of these operations, these cases expose 1 at bf16; not GeluTanh of "
                 "numerics.gelu"
                 " (some may be mistakes in what --where or --defaults leaves out)\n");
}
END_TEST

/* 45 cases of which 20 fail, each in its own way but for the last three. */
START_TEST(long_reports_are_cut)
{
    static verdict_case list[45];
    static verdict_tensor t[45];
    static char name[45][16], fault[45][24];
    memset(list, 0, sizeof list);
    for (size_t i = 0; i < 45; i++) {
        snprintf(name[i], sizeof name[i], "case%02zu", i);
        snprintf(fault[i], sizeof fault[i], "status %zu", i < 17 ? i : 99);
        t[i] = row_of("weight", OP_BOUNDED, WEIGHT, 2, 2, (double)i / 64);
        list[i] = (verdict_case){.name = name[i],
                                 .op = &toy,
                                 .sizes = writable(""),
                                 .parameters = writable(""),
                                 .pass = i >= 20,
                                 .tensors = 1,
                                 .t = &t[i],
                                 .fault = i < 20 ? fault[i] : NULL};
    }
    const report r = {.version = "9",
                      .suite = "core",
                      .seed = 1,
                      .seeds = 1,
                      .precision = twin_profile_find("f32"),
                      .cases = 45,
                      .c = list};
    size_t n;
    char *text = report_render(&r, REPORT_TEXT, &n);
    ck_assert_ptr_nonnull(strstr(text, "\n  pass  case25                                             0.391  weight\n  "
                                       "... and 5 more, none worse\n\n"));
    ck_assert_ptr_null(strstr(text, "  pass  case24"));
    ck_assert_ptr_nonnull(strstr(text, "\nFAIL case11: toy.gate (G.1), \n    status 11\n... and 8 more failing cases "
                                       "(a .json report has all of them)\n"));
    free(text);
    for (size_t i = 0; i < 20; i++) list[i].pass = i < 8;
    for (size_t i = 0; i < 8; i++) list[i].fault = NULL;
    text = report_render(&r, REPORT_TEXT, &n); /* 8 .. 16 and 17 with two more: ten ways */
    ck_assert_ptr_nonnull(
        strstr(text, "FAIL case17: toy.gate (G.1), \n    status 99\n    and 2 more cases in the same way\n\n"));
    ck_assert_ptr_null(strstr(text, "more failing cases"));
    free(text);
    const report all = {.version = "9",
                        .suite = "core",
                        .seed = 1,
                        .seeds = 1,
                        .precision = twin_profile_find("f32"),
                        .cases = 40,
                        .c = list};
    text = report_render(&all, REPORT_TEXT, &n);
    ck_assert_ptr_null(strstr(text, "none worse"));
    free(text);
}
END_TEST

START_TEST(failures_that_differ_are_told_apart)
{
    static const struct {
        const char *a_fault, *a_output, *b_fault, *b_output;
        bool same;
    } row[] = {{"x.one ended", "x.one: no", "x.two ended", "x.two: no", true},
               {"x.one ended", "x.one: no", "x.two ended", "x.two: now", false},
               {"x.one ended", NULL, "x.two ended", NULL, true},
               {"x.one ended", NULL, "x.two ended", "no", false},
               {"x.one ended", "no", "x.two ended", NULL, false},
               {"x.one ended", "a", "x.two ended, too", "a", false},
               {"x.one ended x.one", "a", "x.two ended x.six", "a", false},
               {"x.one ended x.one", "a", "x.two ended x.two", "a", true},
               {"ended", "abc", "ended", "ab", false}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        verdict_case list[2] = {{.name = writable("x.one (seed 1)"),
                                 .op = &toy,
                                 .sizes = writable(""),
                                 .parameters = writable(""),
                                 .fault = writable(row[i].a_fault),
                                 .output = writable(row[i].a_output)},
                                {.name = writable("x.two (seed 2)"),
                                 .op = &toy,
                                 .sizes = writable(""),
                                 .parameters = writable(""),
                                 .fault = writable(row[i].b_fault),
                                 .output = writable(row[i].b_output)}};
        char *text = render(REPORT_TEXT, list, 2);
        ck_assert_msg((strstr(text, "and 1 more case in the same way") != NULL) == row[i].same, "row %zu", i);
        ck_assert_msg((strstr(text, "FAIL x.two (seed 2):") == NULL) == row[i].same, "row %zu", i);
        free(text);
        list[1].details = 1;
        list[1].detail = told_detail;
        told_detail[0] = writable("more");
        text = render(REPORT_TEXT, list, 2);
        ck_assert_ptr_null(strstr(text, "in the same way"));
        free(text);
    }
}
END_TEST

/* Worst first: a fault or a NaN, then failing cases by ratio, then passing ones; equals as they come. */
START_TEST(cases_are_in_order_of_how_bad_they_are)
{
    verdict_tensor t[7];
    verdict_case list[8];
    static const double ratio[7] = {0.5, 3, 0, 0.75, NAN, 9, 0.5};
    static const size_t want[8] = {4, 7, 5, 1, 3, 0, 6, 2};
    memset(list, 0, sizeof list);
    for (size_t i = 0; i < 7; i++) {
        t[i] = row_of("weight", OP_BOUNDED, WEIGHT, 2, 2, ratio[i]);
        t[i].pass = ratio[i] <= 1;
        list[i] = (verdict_case){.name = writable("x"), .op = &toy, .pass = t[i].pass, .tensors = 1, .t = &t[i]};
    }
    list[7] = (verdict_case){.name = writable("x"), .op = &toy, .fault = writable("ended")};
    const report r = {.cases = 8, .c = list};
    const verdict_case **sorted = report_worst_first(&r);
    for (size_t i = 0; i < 8; i++)
        ck_assert_msg(sorted[i] == &list[want[i]], "%zu. is %zu", i, (size_t)(sorted[i] - list));
    free(sorted);
    ck_assert(report_operation(&r, 0) == &toy && !report_operation(&r, 1) && report_failed(&r) == 4);
    char s[24];
    static const struct {
        double ratio;
        const char *text;
    } numbers[] = {{0, "0.000"},        {0.001, "0.001"},  {0.00099, "9.90e-04"}, {9999, "9999.000"},
                   {10000, "1.00e+04"}, {INFINITY, "inf"}, {NAN, "NaN"},          {1, "1.000"}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        t[0].ratio = numbers[i].ratio;
        report_ratio(s, &t[0]);
        ck_assert_str_eq(s, numbers[i].text);
    }
    t[0].judged = false;
    report_ratio(s, &t[0]);
    ck_assert_str_eq(s, "-");
    t[0].slot = OP_TENSORS;
    ck_assert_str_eq(report_kind(&t[0]), "unknown");
    t[0].gradient = true;
    ck_assert_str_eq(report_kind(&t[0]), "gradient");
}
END_TEST

/* --- roundoffs ------------------------------------------------------------------------------------------------------------- */

START_TEST(roundoffs_are_read)
{
    static const struct {
        const char *text;
        double ulp; /* 0: refused */
    } ulp[] = {{"4ulp", 4},
               {"0.5ulp", 0.5},
               {".5ulp", 0.5},
               {"5e-1ulp", 0.5},
               {"0ulp", 0},
               {"0.49ulp", 0},
               {"9ulp", 9},
               {"1073741824ulp", 0x1p30},
               {"1073741825ulp", 0},
               {"4", 0},
               {"ulp", 0},
               {"-4ulp", 0},
               {"+4ulp", 0},
               {" 4ulp", 0},
               {"0x4ulp", 0},
               {"0X4ulp", 0},
               {"4ulps", 0},
               {"4 ulp", 0},
               {"infulp", 0},
               {"nanulp", 0},
               {"", 0},
               {"/4ulp", 0},
               {":4ulp", 0}};
    for (size_t i = 0; i < sizeof ulp / sizeof *ulp; i++) {
        roundoff r;
        char want[200];
        memset(&r, 0, sizeof r);
        *err = '\0';
        ck_assert_msg(roundoff_elementary(&r, ulp[i].text, err, sizeof err) == (ulp[i].ulp > 0 ? 0 : -1), "%s",
                      ulp[i].text);
        snprintf(want, sizeof want, "the elementary functions are within '%s', expected such as 4ulp, at least 0.5ulp",
                 ulp[i].text);
        if (ulp[i].ulp > 0)
            ck_assert_double_eq(r.elementary_ulp, ulp[i].ulp);
        else
            ck_assert_str_eq(err, want);
    }
    roundoff r;
    memset(&r, 0, sizeof r);
    ck_assert(roundoff_arithmetic(&r, "f16", err, sizeof err) == 0 && r.arithmetic == twin_profile_find("f16"));
    ck_assert_int_eq(roundoff_arithmetic(&r, "f17", err, sizeof err), -1);
    ck_assert_str_eq(err, "the arithmetic is 'f17', expected one of f64, f32, tf32, bf16, f16");
    char brief[30];
    ck_assert_int_eq(roundoff_arithmetic(&r, "f17", brief, sizeof brief), -1);
    ck_assert_str_eq(brief, "the arithmetic is 'f17', expe");
}
END_TEST

START_TEST(roundoffs_of_tensors_are_read)
{
    static const struct {
        const char *text, *name, *storage, *arithmetic;
        double ulp;
        const char *refusal; /* NULL: it is right */
    } row[] = {
        {"r=bf16", "r", "bf16", "f32", 4, NULL},
        {"d_r=f32", "d_r", "f32", "f32", 4, NULL},
        {"r=bf16+bf16", "r", "bf16", "bf16", 4, NULL},
        {"r=f32+tf32", "r", "f32", "tf32", 4, NULL},
        {"r=bf16+2ulp", "r", "bf16", "f32", 2, NULL},
        {"r=f32+f64+0.5ulp", "r", "f32", "f64", 0.5, NULL},
        {"r=f32+0.5ulp+f64", "", "", "", 0, "tensor r has 'f32+0.5ulp+f64', expected P, P+A, P+Nulp or P+A+Nulp"},
        {"r=f32+f64+f64", "", "", "", 0, "tensor r has 'f32+f64+f64', expected P, P+A, P+Nulp or P+A+Nulp"},
        {"r=f32+1ulp+2ulp", "", "", "", 0, "tensor r has 'f32+1ulp+2ulp', expected P, P+A, P+Nulp or P+A+Nulp"},
        {"r=f32+x", "", "", "", 0, "tensor r has 'f32+x', expected P, P+A, P+Nulp or P+A+Nulp"},
        {"r=x", "", "", "", 0, "the storage is 'x', expected one of f64, f32, tf32, bf16, f16"},
        {"r=+f32", "", "", "", 0, "the storage is '+f32', expected one of f64, f32, tf32, bf16, f16"},
        {"r=", "", "", "", 0, "tensor is 'r=', expected NAME=P, NAME=P+A, NAME=P+Nulp or NAME=P+A+Nulp"},
        {"=f32", "", "", "", 0, "tensor is '=f32', expected NAME=P, NAME=P+A, NAME=P+Nulp or NAME=P+A+Nulp"},
        {"r", "", "", "", 0, "tensor is 'r', expected NAME=P, NAME=P+A, NAME=P+Nulp or NAME=P+A+Nulp"},
        {"r=bf16+bf16+4ulp", "r", "bf16", "bf16", 4, NULL}, /* 2 * 4 * 2^-8 = 1/32 */
        {"r=bf16+bf16+8ulp", "r", "bf16", "bf16", 8, NULL}, /* 1/16: as much as can be bounded */
        {"r=bf16+bf16+9ulp", "", "", "", 0,
         "elementary functions within 9 ulp of bf16, of tensor r: at most 8 ulp can be bounded"},
        {"r=f32+524289ulp", "", "", "", 0,
         "elementary functions within 524289 ulp of f32, of tensor r: at most 524288 ulp can be bounded"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        roundoff r;
        memset(&r, 0, sizeof r);
        *err = '\0';
        ck_assert_msg(roundoff_tensor(&r, row[i].text, err, sizeof err) == (row[i].refusal ? -1 : 0), "%s: %s",
                      row[i].text, err);
        if (row[i].refusal) {
            ck_assert_str_eq(err, row[i].refusal);
            ck_assert_uint_eq(r.tensors, 0);
            continue;
        }
        const twin_profile *p = &r.tensor[0];
        ck_assert(r.tensors == 1 && strcmp(r.name[0], row[i].name) == 0 && p->apart);
        ck_assert_str_eq(p->storage.name, row[i].storage);
        ck_assert_str_eq(p->arithmetic.name, row[i].arithmetic);
        ck_assert_double_eq(p->elementary_ulp, row[i].ulp);
    }
}
END_TEST

START_TEST(roundoffs_are_merged_and_put_into_a_profile)
{
    roundoff a, b;
    twin_profile p;
    char text[100];
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    ck_assert(roundoff_tensor(&a, "r=bf16", err, sizeof err) == 0 &&
              roundoff_tensor(&a, "r=bf16", err, sizeof err) == -1);
    ck_assert_str_eq(err, "tensor r has its roundoffs twice");
    ck_assert(roundoff_tensor(&b, "r=f16", err, sizeof err) == 0 &&
              roundoff_tensor(&b, "weight=f64", err, sizeof err) == 0);
    ck_assert(roundoff_arithmetic(&b, "f64", err, sizeof err) == 0 &&
              roundoff_elementary(&b, "3ulp", err, sizeof err) == 0);
    roundoff_merge(&a, &b);
    ck_assert(a.tensors == 2 && strcmp(a.name[0], "r") == 0 && strcmp(a.name[1], "weight") == 0 &&
              a.elementary_ulp == 3);
    ck_assert(strcmp(a.tensor[0].storage.name, "bf16") == 0 && strcmp(a.tensor[1].storage.name, "f64") == 0 &&
              a.arithmetic == twin_profile_find("f64"));
    memset(&b, 0, sizeof b);
    ck_assert(roundoff_arithmetic(&b, "f32", err, sizeof err) == 0 &&
              roundoff_elementary(&b, "2ulp", err, sizeof err) == 0);
    roundoff_merge(&a, &b); /* what was said stays */
    ck_assert(a.tensors == 2 && a.elementary_ulp == 3 && a.arithmetic == twin_profile_find("f64"));
    ck_assert(roundoff_profile(&a, twin_profile_find("f32"), &p, err, sizeof err) == 0 && p.apart &&
              p.tensor == a.tensor);
    char *said = roundoff_text(&p);
    ck_assert_str_eq(said, "storage f32, arithmetic f64, elementary functions within 3 ulp; r: storage bf16, "
                           "arithmetic f32, elementary functions within 4 ulp; "
                           "weight: storage f64, arithmetic f64, elementary functions within 4 ulp");
    free(said);
    const report r = {.version = "9", .suite = "core", .seed = 1, .seeds = 1, .precision = &p};
    size_t n;
    said = report_render(&r, REPORT_JSON, &n);
    static const char *const json[] = {"{'smoeref':'9','suite':'core','seed':1,'seeds':1,'forward':false,'precision':'"
                                       "f32','passed':0,'failed':0,'power':null,'operations':[],'cases':[],",
                                       "'roundoff':{'storage':'f32','arithmetic':'f64','elementary_ulp':3.0,'tensors':{"
                                       "'r':{'storage':'bf16','arithmetic':'f32','elementary_ulp':4.0},",
                                       "'weight':{'storage':'f64','arithmetic':'f64','elementary_ulp':4.0}}}}", NULL};
    same_json(said, json);
    free(said);
    memset(&b, 0, sizeof b);
    ck_assert(roundoff_profile(&b, twin_profile_find("bf16"), &p, err, sizeof err) == 0 && !p.apart && !p.tensor);
    ck_assert(strcmp(p.name, "bf16") == 0 && p.elementary_ulp == 4 && strcmp(p.arithmetic.name, "f32") == 0);
    ck_assert(roundoff_elementary(&b, "4ulp", err, sizeof err) == 0 &&
              roundoff_arithmetic(&b, "f32", err, sizeof err) == 0);
    ck_assert(roundoff_profile(&b, twin_profile_find("bf16"), &p, err, sizeof err) == 0 &&
              !p.apart); /* as the precision means it */
    b.elementary_ulp = 2;
    ck_assert(roundoff_profile(&b, twin_profile_find("bf16"), &p, err, sizeof err) == 0 && p.apart && !p.tensor &&
              p.elementary_ulp == 2);
    ck_assert(roundoff_arithmetic(&b, "bf16", err, sizeof err) == 0 &&
              roundoff_elementary(&b, "8.5ulp", err, sizeof err) == 0);
    ck_assert(roundoff_profile(&b, twin_profile_find("bf16"), &p, err, sizeof err) == -1);
    ck_assert_str_eq(err, "elementary functions within 8.5 ulp of bf16: at most 8 ulp can be bounded");
    memset(&a, 0, sizeof a);
    for (size_t i = 0; i < ROUNDOFF_TENSORS; i++) {
        snprintf(text, sizeof text, "t%zu=f32", i);
        ck_assert_int_eq(roundoff_tensor(&a, text, err, sizeof err), 0);
    }
    ck_assert_int_eq(roundoff_tensor(&a, "more=f32", err, sizeof err), -1);
    ck_assert_str_eq(err, "more than 64 tensors have roundoffs of their own");
    memset(&b, 0, sizeof b);
    ck_assert_int_eq(roundoff_tensor(&b, "more=f32", err, sizeof err), 0);
    roundoff_merge(&a, &b);
    ck_assert_uint_eq(a.tensors, ROUNDOFF_TENSORS);
    ck_assert(roundoff_profile(&a, twin_profile_find("f32"), &p, err, sizeof err) == 0 &&
              !p.tensor[ROUNDOFF_TENSORS].name && strcmp(p.tensor[63].name, "t63") == 0);
    char name[ROUNDOFF_NAME + 8];
    memset(name, 'a', sizeof name);
    strcpy(name + ROUNDOFF_NAME - 1, "=f32");
    memset(&b, 0, sizeof b);
    ck_assert(roundoff_tensor(&b, name, err, sizeof err) == 0 && strlen(b.name[0]) == ROUNDOFF_NAME - 1);
    memset(name, 'a', sizeof name);
    strcpy(name + ROUNDOFF_NAME, "=f32");
    ck_assert_int_eq(roundoff_tensor(&b, name, err, sizeof err), -1);
    char longest[70] = "r=f32+", want[200];
    memset(&b, 0, sizeof b);
    memset(longest + 6, 'x', 59); /* 63 characters after the sign are read as what they are */
    snprintf(want, sizeof want, "tensor r has '%s', expected P, P+A, P+Nulp or P+A+Nulp", longest + 2);
    ck_assert_int_eq(roundoff_tensor(&b, longest, err, sizeof err), -1);
    ck_assert_str_eq(err, want);
    longest[65] = 'x'; /* 64 are not */
    snprintf(want, sizeof want, "the storage is '%.40s', expected one of f64, f32, tf32, bf16, f16", longest + 2);
    ck_assert_int_eq(roundoff_tensor(&b, longest, err, sizeof err), -1);
    ck_assert_str_eq(err, want);
}
END_TEST

START_TEST(roundoffs_of_strangers_are_noticed)
{
    /* toy: input r with a gradient; outputs weight, index (a decision), load (integers), half, s, margin */
    static const char *const known[] = {"r", "d_r", "weight", "d_weight", "index", "half", "s"},
                             *const strangers[] = {"load", "d_half", "d_index", "x", "d_x", "d_", ""};
    const op_record *const ops[] = {op_find("balance.switch"), &toy, NULL}, *const none[] = {NULL},
                           *const other[] = {op_find("numerics.softplus"), NULL};
    for (size_t i = 0; i < 14; i++) {
        roundoff r;
        memset(&r, 0, sizeof r);
        strcpy(r.name[0], "r");
        strcpy(r.name[1], i < 7 ? known[i] : strangers[i - 7]);
        r.tensors = 2;
        const char *who = roundoff_stranger(&r, ops);
        ck_assert_msg(i < 7 ? who == NULL : who == r.name[1], "'%s'", r.name[1]);
        ck_assert(roundoff_stranger(&r, none) == r.name[0] && roundoff_stranger(&r, other) == r.name[0]);
    }
}
END_TEST

/* --- variants of cases ---------------------------------------------------------------------------------------------------- */

/* The answer that a variant gives to the case at hand, under golden's decisions. */
static void answer_as(const char *variant)
{
    verdict_golden w;
    tensor_file_clear(&answer);
    verdict_case_clear(&v);
    ck_assert_msg(verdict_replay(c, profile, variant, &w, err, sizeof err) == 0, "%s", err);
    for (size_t i = 0; c->op->out[i].name; i++) {
        const op_value *o = &c->out[i];
        if (c->op->out[i].kind == OP_STAGE) continue;
        if (o->i64)
            add_integers(c->op->out[i].name, o, w.out[i].index ? w.out[i].index : g.out[i].index);
        else
            add_doubles(c->op->out[i].name, o, w.out[i].value);
    }
    for (size_t i = 0; c->op->in[i].name; i++) {
        char name[80];
        snprintf(name, sizeof name, "d_%s", c->op->in[i].name);
        if (c->op->in[i].flags & OP_DIFF) add_doubles(name, &c->grad[i], w.grad[i].value);
    }
    verdict_golden_clear(&w);
    judge();
}

static bool named(const char *variant)
{
    for (size_t i = 0; i < v.matches; i++)
        if (v.match[i].tells && strcmp(v.match[i].variant->name, variant) == 0) return true;
    return false;
}

static void drawn_case(const char *op, const char *dims, const char *set)
{
    op_case_free(c);
    verdict_golden_clear(&g);
    c = op_case_new(op_find(op), dims, set, err, sizeof err);
    ck_assert_msg(c != NULL, "%s", err);
    op_rng *r = op_rng_new(1, "check_verdict");
    op_fill_default(c, r);
    for (size_t i = 0; c->op->out[i].name; i++)
        if (c->op->out[i].flags & OP_DIFF) op_fill_normal(r, 1, c->cot[i].count, c->cot[i].f64);
    op_rng_free(r);
    ck_assert_int_eq(op_run(c), SMOE_OK);
    ck_assert_msg(verdict_golden_run(c, profile, &g, err, sizeof err) == 0, "%s", err);
}

/* With more than 20,000 elements the variants are tried by what they do to a small case; the first that tells ends the search. */
START_TEST(a_large_case_is_diagnosed_by_likelihood)
{
    static const char *const wrong[] = {"LblProbOverTK", "LblTopKNorm"};
    for (size_t i = 0; i < 2; i++) {
        drawn_case("balance.switch", i ? "T=1700,N=12" : "T=1200,N=12", "k=2");
        answer_as(wrong[i]);
        ck_assert(!v.pass);
        ck_assert_msg(
            verdict_diagnose(c, &g, &answer, profile, (const bool[TWIN_VARIANTS]){false}, &v, err, sizeof err) == 0,
            "%s", err);
        ck_assert_msg(v.ranked == (i == 1), "%zu elements", c->in[0].count);
        ck_assert_msg(named(wrong[i]) == (i == 1), "of a small case only those that are alive are tried");
        if (i == 0)
            ck_assert_msg(verdict_diagnose(c, &g, &answer, profile, NULL, &v, err, sizeof err) == 0 && named(wrong[i]),
                          "%s", err);
    }
}
END_TEST

START_TEST(what_is_remembered_is_what_is_computed)
{
    static const char *const ops[] = {"gate.weights", "layer.smoe", "layer.dispatch"}, *const dims[] = {
                                                                                           "T=4,N=4", "T=4,d=2,N=4,h=2",
                                                                                           "T=4,d=2,K=2"};
    static const char *const set[] = {"k=2", "k=2", "experts=3,capacity=2"};
    for (size_t o = 0; o < 3; o++) {
        verdict_memory *m = verdict_memory_new();
        ck_assert_ptr_nonnull(m);
        drawn_case(ops[o], dims[o], set[o]);
        for (size_t i = 0; twin_variants[i].op; i++) {
            size_t matches[3];
            const twin_variant *first[3];
            if (strcmp(twin_variants[i].op, ops[o]) != 0) continue;
            for (int way = 0; way < 3; way++) {
                answer_as(twin_variants[i].name);
                const int status =
                    verdict_diagnose_again(c, &g, &answer, profile, NULL, way ? m : NULL, &v, err, sizeof err);
                ck_assert_msg(status == 0, "%s", err);
                matches[way] = v.matches;
                first[way] = v.matches ? v.match[0].variant : NULL;
                for (size_t k = 0; k + 1 < v.matches; k++) {
                    const verdict_match *a = &v.match[k], *b = a + 1;
                    ck_assert_msg(a->tells > b->tells || (a->tells == b->tells && a->ratio <= b->ratio),
                                  "the best first");
                }
                if (!v.pass) ck_assert_msg(v.matches > 0, "%s of %s is not named", twin_variants[i].name, ops[o]);
            }
            ck_assert(matches[0] == matches[1] && matches[1] == matches[2] && first[0] == first[1] &&
                      first[1] == first[2]);
        }
        verdict_memory_free(m);
    }
    verdict_memory_free(NULL);
}
END_TEST

/* compete.route, of which the choice alone counts: the other outputs are made stages.  By the mean softplus (1 2) wins, 1.72 to
 * 0.37; by the norm (-3 0) does, 3 to 2.24.  (0 0.5) loses by both. */
START_TEST(a_choice_alone_has_power)
{
    static op_tensor out[8];
    static op_record copy;
    size_t n = 0, index = 0;
    copy = *op_find("compete.route");
    for (; copy.out[n].name; n++) {
        out[n] = copy.out[n];
        if (out[n].kind == OP_DECISION)
            index = n;
        else
            out[n].kind = OP_STAGE;
    }
    memset(&out[n], 0, sizeof out[n]);
    copy.out = out;
    for (int i = 0; i < 4; i++) {
        static bool exposed[TWIN_VARIANTS];
        memset(exposed, 0, sizeof exposed);
        profile = twin_profile_find("f64");
        route_case(i == 1 ? (const double[]){1, 2, 0, 0.5} : (const double[]){1, 2, -3, 0});
        c->op = &copy;
        g.forward = true;
        if (i == 2) g.score[index].bound[0] = 2; /* the equation may choose either */
        out[index].flags = (i == 3 ? OP_OPTIONAL : 0) | OP_I64;
        ck_assert_msg(verdict_power(c, &g, profile, exposed, err, sizeof err) == 0, "%s", err);
        ck_assert_msg(*exposed_of(exposed, "compete.route", "ResponseNorm") == (i == 0), "case %d", i);
        c->op = op_find("compete.route");
    }
}
END_TEST

/* gate.weights with an output more, which its twin does not compute. */
START_TEST(what_the_twin_does_not_compute)
{
    static op_tensor out[8];
    static op_record copy;
    size_t n = 0;
    copy = *op_find("gate.weights");
    for (; copy.out[n].name; n++) out[n] = copy.out[n];
    const int64_t other[2] = {1, 0};
    const size_t dim[] = {2, 1}, two[] = {2}, r_dim[] = {2, 2};
    copy.out = out;
    for (int way = 0; way < 3; way++) {
        out[n] = (op_tensor){"extra", "T", way == 0 ? OP_BOUNDED : OP_EXACT, way == 2 ? OP_I64 : 0, ""};
        memset(&out[n + 1], 0, sizeof *out);
        op_case_free(c);
        verdict_golden_clear(&g);
        verdict_case_clear(&v);
        tensor_file_clear(&answer);
        c = op_case_new(&copy, "T=2,N=2", "k=1", err, sizeof err);
        ck_assert_msg(c != NULL, "%s", err);
        memcpy(op_in(c, "r"), (const double[]){2, 1, 1, 1}, 4 * sizeof(double));
        ck_assert_int_eq(op_run(c), SMOE_OK);
        if (way == 0) {
            ck_assert_int_eq(verdict_golden_run(c, profile, &g, err, sizeof err), -1);
            ck_assert_str_eq(err, "gate.weights: the twin computes no extra, so it has no bound");
            c->op = op_find("gate.weights");
            ck_assert_msg(verdict_golden_run(c, profile, &g, err, sizeof err) == 0, "%s", err);
            c->op = &copy;
        } else {
            if (way == 1) out[n].flags = OP_MARGIN; /* so that no bound is asked */
            ck_assert_msg(verdict_golden_run(c, profile, &g, err, sizeof err) == 0, "%s", err);
            if (way == 1) out[n].flags = 0;
        }
        ck_assert_int_eq(tensor_file_add(&answer, "index", TENSOR_I64, 2, dim, other), 0);
        add_scalars("weight", 2, dim, (const double[]){1, 1});
        add_scalars("d_r", 2, r_dim, (const double[4]){0});
        ck_assert_int_eq(
            tensor_file_add(&answer, "extra", way == 2 ? TENSOR_I64 : TENSOR_F64, 1, two, (const double[2]){0}), 0);
        if (way == 0) {
            g.out[n] = floats(2, (const double[2]){0}, 1);
            ck_assert_int_eq(verdict_judge(c, "case", &g, &answer, profile, &v, err, sizeof err), -1);
            ck_assert_str_eq(err, "gate.weights: the twin computes no extra to replay a decision with");
            continue;
        }
        judge(); /* exact tensors stay golden */
        ck_assert(v.replayed && find("extra")->pass && v.differ == 1 && v.inadmissible == 1 && v.tokens == 2);
        if (way == 2)
            g.out[n].index[1] = 7;
        else
            g.out[n].value[1] = 7;
        verdict_case_clear(&v);
        judge();
        ck_assert(v.replayed && !find("extra")->pass && find("extra")->at == 1 && find("extra")->golden == 7);
    }
}
END_TEST

/* The same with a decision more, of which it has no scores. */
START_TEST(scores_that_the_twin_does_not_compute)
{
    static op_tensor out[8];
    static op_record copy;
    size_t n = 0;
    copy = *op_find("gate.weights");
    for (; copy.out[n].name; n++) out[n] = copy.out[n];
    out[n] = (op_tensor){"other", "T,K", OP_DECISION, OP_I64, ""};
    copy.out = out;
    op_case_free(c);
    c = op_case_new(&copy, "T=2,N=2", "k=1", err, sizeof err);
    ck_assert_msg(c != NULL, "%s", err);
    ck_assert_int_eq(op_run(c), SMOE_OK);
    verdict_golden_clear(&g);
    ck_assert_int_eq(verdict_golden_run(c, profile, &g, err, sizeof err), -1);
    ck_assert_str_eq(err, "gate.weights: the twin computes no scores of other, so it has no bound");
}
END_TEST

static smoe_status nothing_to_do(op_case *of) { return of->op ? SMOE_OK : SMOE_EDOM; }

/* Large is more than 20,000 elements of inputs and outputs together. */
START_TEST(twenty_thousand_elements_are_not_large)
{
    static const op_tensor in[] = {{"r", "T,N", OP_INPUT, 0, ""}, {NULL, NULL, 0, 0, NULL}};
    static const op_tensor out[] = {{"y", "T", OP_BOUNDED, 0, ""}, {NULL, NULL, 0, 0, NULL}};
    op_record wide = toy;
    wide.in = in;
    wide.out = out;
    wide.forward = nothing_to_do;
    for (size_t N = 19999; N <= 20000; N++) {
        char dims[20];
        snprintf(dims, sizeof dims, "T=1,N=%zu", N);
        op_case_free(c);
        verdict_golden_clear(&g);
        verdict_case_clear(&v);
        tensor_file_clear(&answer);
        c = op_case_new(&wide, dims, "", err, sizeof err);
        ck_assert_msg(c != NULL, "%s", err);
        g.out[0] = floats(1, (const double[]){1}, 0.25);
        add_doubles("y", &c->out[0], (const double[]){3});
        judge();
        ck_assert_msg(verdict_diagnose(c, &g, &answer, profile, NULL, &v, err, sizeof err) == 0, "%s", err);
        ck_assert(!v.pass && v.ranked == (N == 20000) && v.matches == 0);
    }
}
END_TEST

/* The small case that the variants of a large one are tried on: at most 6 tokens or two sequences, k + 5 experts, 5 of all else. */
START_TEST(small_cases_are_like_the_large_one)
{
    static const struct {
        const char *op, *dims, *set, *small;
    } row[] = {{"layer.smoe", "T=100,N=16,d=8,h=9", "k=3,order=softmax-topk", "T=6,N=8,d=5,h=5"},
               {"layer.smoe", "T=4,N=6,d=2,h=3", "k=2", "T=4,N=6,d=2,h=3"},
               {"balance.switch", "T=700,N=40", "k=4,scope=sequence,sequence=7", "T=14,N=9"},
               {"layer.dispatch", "T=9,d=9,K=7", "experts=8,capacity=2", "T=6,d=5,K=7"}};
    for (size_t k = 0; k < sizeof row / sizeof *row; k++) {
        op_case_free(c);
        c = op_case_new(op_find(row[k].op), row[k].dims, row[k].set, err, sizeof err);
        ck_assert_msg(c != NULL, "%s", err);
        op_case *s = diagnose_small(c),
                *want = op_case_new(op_find(row[k].op), row[k].small, row[k].set, err, sizeof err);
        ck_assert_msg(s && want, "%s: %s", row[k].op, err);
        ck_assert(s->op == c->op && s->dims == want->dims);
        for (size_t i = 0; i < s->dims; i++)
            ck_assert_msg(s->dim_name[i] == want->dim_name[i] && s->dim_size[i] == want->dim_size[i], "%s: %c is %zu",
                          row[k].op, s->dim_name[i], s->dim_size[i]);
        for (size_t i = 0; c->op->param[i].name; i++)
            ck_assert_msg(c->op->param[i].type == OP_CHOICE ? strcmp(s->choice[i], c->choice[i]) == 0
                                                            : s->number[i] == c->number[i],
                          "%s", c->op->param[i].name);
        bool run = false;
        for (size_t i = 0; c->op->out[i].name; i++)
            for (size_t e = 0; c->op->out[i].flags & OP_DIFF && e < s->cot[i].count; e++) {
                ck_assert_msg(s->cot[i].f64[e] < 0 || s->cot[i].f64[e] > 0, "each cotangent is drawn");
                run = run || s->out[i].f64[e] < 0 || s->out[i].f64[e] > 0;
            }
        ck_assert_msg(run, "it has been run");
        op_case_free(s);
        op_case_free(want);
    }
}
END_TEST

/* --- memory ----------------------------------------------------------------------------------------------------------------- */

/* A case from its file to its reports, in all formats. */
static void one_life(void)
{
    static const report_format format[] = {REPORT_TEXT, REPORT_TAP, REPORT_JSON, REPORT_XML, REPORT_HTML};
    tensor_file f;
    verdict_golden h;
    verdict_case list[3];
    expected_file(&f, "", ' ');
    ck_assert_int_eq(verdict_golden_read(c, &f, "file", profile, &h, err, sizeof err), 0);
    ck_assert_int_eq(verdict_golden_find(c, &f, "file", profile, err, sizeof err), 0);
    verdict_golden_clear(&h);
    tensor_file_clear(&f);
    expected_file(&f, "load", 'f');
    ck_assert_int_eq(verdict_golden_read(c, &f, "file", profile, &h, err, sizeof err), -1);
    tensor_file_clear(&f);
    answer_without("index"); /* another choice, and no twin that would replay it */
    add_integers("index", &c->out[INDEX], (const int64_t[]){0, 2, 1, 3});
    ck_assert_int_eq(verdict_judge(c, "case", &g, &answer, profile, &v, err, sizeof err), -1);
    ck_assert(v.tensors == 0 && !v.name && !v.t);
    tensor_file_clear(&answer);
    memset(list, 0, sizeof list);
    for (int i = 0; i < 3; i++) {
        answer_without(i == 1 ? "weight half" : "weight");
        add_doubles("weight", &c->out[WEIGHT], (const double[]){0.25, 0.75, i == 2 ? NAN : 0.5, 0.5});
        judge();
        ck_assert_int_eq(verdict_diagnose(c, &g, &answer, profile, NULL, &v, err, sizeof err), 0);
        ck_assert_int_eq(verdict_diagnose(c, &g, &answer, profile, NULL, &v, err, sizeof err), 0);
        if (i == 1) verdict_fail(&v, "it ended", "with this");
        if (i == 1) verdict_fail(&v, "it ended twice", "with that");
        list[i] = v;
        memset(&v, 0, sizeof v);
        tensor_file_clear(&answer);
    }
    for (size_t i = 0; i < 5; i++) free(render(format[i], list, 3));
    for (size_t i = 0; i < 3; i++) verdict_case_clear(&list[i]);
}

/* The same with the twin: a decision that is not golden's, a variant, a memory of variants, and what the cases would have shown. */
static void another_life(void)
{
    static bool exposed[TWIN_VARIANTS];
    verdict_memory *m = verdict_memory_new();
    memset(exposed, 0, sizeof exposed);
    drawn_case("gate.weights", "T=3,N=3", "k=2");
    for (int way = 0; way < 4; way++) {
        answer_as("DoubleSoftmaxWeights");
        for (size_t i = 0; way == 1 && i < answer.tensors; i++) {
            int64_t *index = answer.t[i].data;
            if (answer.t[i].dtype == TENSOR_I64) index[0] = 3 - index[0] - index[1]; /* the expert that was left out */
        }
        verdict_case_clear(&v);
        judge();
        ck_assert_msg(!v.pass && (way == 1) == (v.differ > 0), "it has to be diagnosed");
        ck_assert_int_eq(verdict_diagnose_again(c, &g, &answer, profile, NULL, way > 1 ? m : NULL, &v, err, sizeof err),
                         0);
    }
    ck_assert_int_eq(verdict_power(c, &g, profile, exposed, err, sizeof err), 0);
    report r = failing_cases(&toy, 4);
    agrees(0, &alpha, true);
    agrees(1, &alpha, true);
    agrees(2, &beta, true);
    has_factor(2, "2", 2);
    static const report_format format[] = {REPORT_TEXT, REPORT_TAP, REPORT_JSON, REPORT_XML};
    for (size_t i = 0; i < 4; i++) {
        size_t n;
        free(report_render(&r, format[i], &n));
    }
    twin_profile p;
    roundoff said;
    memset(&said, 0, sizeof said);
    ck_assert(roundoff_tensor(&said, "r=bf16", err, sizeof err) == 0 &&
              roundoff_profile(&said, profile, &p, err, sizeof err) == 0);
    free(roundoff_text(&p));
    verdict_memory_free(m);
    free_toy();
    make_toy();
}

/* A case that is large, so that its variants are tried on a small one first, and what is remembered of the first variant of all. */
static void a_large_life(void)
{
    verdict_memory *m = verdict_memory_new();
    ck_assert_str_eq(twin_variants[0].op, "numerics.softplus");
    drawn_case("numerics.softplus", "n=10001", "");
    answer_as(NULL);
    ck_assert_msg(v.pass, "no variant, no failure");
    ((double *)answer.t[0].data)[0] += 1;
    for (int i = 0; i < 2; i++) {
        verdict_case_clear(&v);
        judge();
        ck_assert_int_eq(verdict_diagnose_again(c, &g, &answer, profile, NULL, m, &v, err, sizeof err), 0);
        ck_assert(v.ranked && !v.pass && v.matches == 0);
    }
    verdict_memory_free(m);
    free_toy();
    make_toy();
}

/* Two wrong variants at once.  The pairs that have been named stay, so they are all named in the first life. */
static void a_life_of_pairs(void)
{
    profile = twin_profile_find("f32");
    balance_case();
    two_at_once(1, 1, 0.125);
    const twin_variant *w = pair_found();
    ck_assert_ptr_nonnull(w);
    ck_assert_int_eq(verdict_diagnose_as(c, &g, &answer, profile, w, &v, err, sizeof err), 0);
    two_at_once(0.9, 1, 0.125);
    ck_assert_ptr_null(pair_found());
    free_toy();
    make_toy();
}

START_TEST(nothing_is_kept)
{
    if (!in_own_process("check_verdict")) return;
    keeps_nothing(one_life, 4);
    keeps_nothing(another_life, 4);
    keeps_nothing(a_large_life, 2);
    keeps_nothing(a_life_of_pairs, 4);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verdict");
    TCase *elements = tcase_create("elements"), *tensors = tcase_create("tensors");
    TCase *decisions = tcase_create("decisions");
    TCase *twin = tcase_create("twin"), *reports = tcase_create("reports");
    TCase *pieces = tcase_create("pieces"), *written = tcase_create("written"), *memory = tcase_create("memory");
    TCase *const all[] = {elements, tensors, decisions, twin, reports, pieces, written, memory};
    for (size_t i = 0; i < 8; i++) {
        tcase_add_checked_fixture(all[i], make_toy, free_toy);
        tcase_set_timeout(all[i], 120);
        suite_add_tcase(suite, all[i]);
    }
    tcase_add_test(elements, the_right_answer_passes);
    tcase_add_test(elements, nan_fails);
    tcase_add_test(elements, the_first_nan_is_shown);
    tcase_add_test(elements, infinity_fails_unless_golden);
    tcase_add_test(elements, at_the_bound_passes_and_an_ulp_beyond_fails);
    tcase_add_test(elements, a_zero_bound_means_equal);
    tcase_add_test(elements, vacuous_bounds_are_counted);
    tcase_add_test(elements, exact_means_bit_for_bit);
    tcase_add_test(elements, the_ratio_itself);
    tcase_add_test(elements, a_bound_contains_the_ball);
    tcase_add_test(tensors, missing_tensors_fail);
    tcase_add_test(tensors, no_answer_fails);
    tcase_add_test(tensors, unknown_tensors_fail);
    tcase_add_test(tensors, wrong_shapes_fail);
    tcase_add_test(tensors, wrong_types_fail);
    tcase_add_test(tensors, which_types_hold_which_precisions);
    tcase_add_test(tensors, stages_are_optional_and_judged);
    tcase_add_test(tensors, golden_files_are_read);
    tcase_add_test(tensors, bad_golden_files_are_refused);
    tcase_add_test(decisions, admissible_selections);
    tcase_add_test(decisions, exact_ties_go_to_the_lower_index);
    tcase_add_test(decisions, ambiguous_tokens_are_counted);
    tcase_add_test(decisions, malformed_decisions_fail);
    tcase_add_test(decisions, swapped_weights_fail);
    tcase_add_test(twin, simple_factors_are_named);
    tcase_add_test(twin, one_name_of_a_factor_is_shown);
    tcase_add_test(twin, an_ambiguous_decision_is_replayed);
    tcase_add_test(twin, an_inadmissible_decision_fails_though_all_follows_from_it);
    tcase_add_test(twin, the_order_inside_the_k_counts);
    tcase_add_test(twin, ties_left_to_the_sort_are_named);
    tcase_add_test(twin, a_known_wrong_variant_is_named);
    tcase_add_test(twin, two_wrong_variants_at_once_are_named);
    tcase_add_test(twin, a_pair_is_tried_on_other_cases);
    tcase_add_test(twin, pairs_are_two_of_the_table);
    tcase_add_test(twin, the_twin_computes_two_at_once);
    tcase_add_test(twin, a_smaller_case_keeps_its_corner);
    tcase_add_test(twin, values_become_simpler);
    tcase_add_test(twin, what_is_simplest_has_no_steps);
    tcase_add_test(twin, parameters_go_back_to_their_defaults);
    tcase_add_test(twin, a_case_in_words);
    tcase_add_test(twin, failures_are_alike_by_their_tensors);
    tcase_add_test(twin, wrong_integers_are_named);
    tcase_add_test(twin, integers_have_power_too);
    tcase_add_test(twin, power_tells_what_would_be_seen);
    tcase_add_test(twin, a_gradient_alone_has_power);
    tcase_add_test(reports, a_picture_has_the_worst_of_each_cell);
    tcase_add_test(reports, a_picture_of_narrow_rows);
    tcase_add_test(reports, reports_count_and_escape);
    tcase_add_test(reports, an_explanation_must_hold_for_every_case);
    tcase_add_test(reports, each_part_of_the_cases_has_its_line);
    tcase_add_test(reports, parameters_that_are_cut_are_read_to_their_end);
    tcase_add_test(reports, failures_of_two_kinds_are_both_told);
    tcase_add_test(reports, a_loss_is_before_the_gradients);
    tcase_add_test(reports, formats_go_by_extension);
    tcase_add_test(reports, sentences_are_clean);
    tcase_add_test(reports, per_cent_signs_are_text);
    tcase_add_test(reports, texts_of_limited_room_end_there);
    tcase_add_test(pieces, tallies_are_those_of_a_plain_loop);
    tcase_add_test(pieces, tallies_of_pieces_are_those_of_the_whole);
    tcase_add_test(pieces, exact_elements_are_compared_by_their_bits);
    tcase_add_test(pieces, of_equals_the_first_is_the_worst);
    tcase_add_test(pieces, tensors_of_several_pieces_are_judged_to_their_last_element);
    tcase_add_test(pieces, pictures_are_those_of_a_plain_loop);
    tcase_add_test(pieces, edges_of_utf8_are_kept_or_replaced);
    tcase_add_test(pieces, all_choices_of_two_out_of_four);
    tcase_add_test(pieces, the_worst_element_is_told_with_its_inputs);
    tcase_add_test(pieces, inputs_that_share_the_axis_are_told);
    tcase_add_test(pieces, inputs_are_told_out_of_a_prompt);
    tcase_add_test(pieces, malformed_tokens_are_told_three_at_most);
    tcase_add_test(pieces, a_text_that_is_lost_ends_the_process);
    tcase_add_test(pieces, out_of_memory_ends_the_process);
    tcase_add_test(pieces, a_choice_names_an_expert_once);
    tcase_add_test(pieces, of_two_choices_both_are_golden_where_one_is_malformed);
    tcase_add_test(pieces, without_experts_no_choice_is_formed);
    tcase_add_test(pieces, inadmissible_tokens_are_told_three_at_most);
    tcase_add_test(pieces, long_choices_are_cut);
    tcase_add_test(pieces, an_underflow_of_the_softmax_is_told);
    tcase_add_test(pieces, numbers_of_a_narrower_format_are_noticed);
    tcase_add_test(pieces, what_the_dtype_would_be_judged_as_is_said);
    tcase_add_test(pieces, an_optional_choice_that_is_missing_is_assumed);
    tcase_add_test(pieces, forward_alone_owes_no_gradients);
    tcase_add_test(pieces, what_a_golden_file_lacks_is_found);
    tcase_add_test(pieces, golden_has_all_of_a_case);
    tcase_add_test(pieces, bounds_of_other_roundoffs_are_computed);
    tcase_add_test(pieces, other_roundoffs_need_every_bound_anew);
    tcase_add_test(pieces, bounds_that_cannot_be_computed_are_an_error);
    tcase_add_test(pieces, a_golden_file_of_no_tokens_lacks_nothing);
    tcase_add_test(pieces, names_of_a_golden_file_are_known_or_refused);
    tcase_add_test(pieces, golden_choices_name_experts);
    tcase_add_test(pieces, bounds_that_are_missing_are_computed);
    tcase_add_test(pieces, factors_are_what_their_names_say);
    tcase_add_test(pieces, a_factor_holds_for_every_element_that_fails);
    tcase_add_test(pieces, the_first_tensor_is_diagnosed_like_the_others);
    tcase_add_test(pieces, right_numbers_in_wrong_places_are_told);
    tcase_add_test(pieces, long_orders_are_cut);
    tcase_add_test(pieces, what_speaks_against_a_pair_is_counted);
    tcase_add_test(pieces, a_tensor_is_a_variants_or_not);
    tcase_add_test(pieces, counts_and_choices_are_a_variants_or_not);
    tcase_add_test(pieces, unlike_effects_are_counted);
    tcase_add_test(pieces, exchanged_tensors_have_one_shape);
    tcase_add_test(pieces, places_in_vectors_and_boxes);
    tcase_add_test(written, a_text_report_word_by_word);
    tcase_add_test(written, a_coloured_report_word_by_word);
    tcase_add_test(written, a_tap_report_word_by_word);
    tcase_add_test(written, an_xml_report_word_by_word);
    tcase_add_test(written, a_json_report_value_by_value);
    tcase_add_test(written, explanations_word_by_word);
    tcase_add_test(written, what_departs_first_is_told);
    tcase_add_test(written, matches_are_kept_in_order);
    tcase_add_test(written, tap_names_every_variant_that_explains);
    tcase_add_test(written, of_one_case_no_share_is_told);
    tcase_add_test(written, the_smallest_case_is_pointed_at);
    tcase_add_test(written, parts_word_by_word);
    tcase_add_test(written, factors_word_by_word);
    tcase_add_test(written, of_several_factors_a_number_is_told);
    tcase_add_test(written, a_factor_that_explains_more_leads);
    tcase_add_test(written, parameters_away_from_their_defaults_are_told);
    tcase_add_test(written, the_first_parameter_is_told_too);
    tcase_add_test(written, power_word_by_word);
    tcase_add_test(written, long_reports_are_cut);
    tcase_add_test(written, failures_that_differ_are_told_apart);
    tcase_add_test(written, cases_are_in_order_of_how_bad_they_are);
    tcase_add_test(written, roundoffs_are_read);
    tcase_add_test(written, roundoffs_of_tensors_are_read);
    tcase_add_test(written, roundoffs_are_merged_and_put_into_a_profile);
    tcase_add_test(written, roundoffs_of_strangers_are_noticed);
    tcase_add_test(written, a_large_case_is_diagnosed_by_likelihood);
    tcase_add_test(written, what_is_remembered_is_what_is_computed);
    tcase_add_test(written, a_choice_alone_has_power);
    tcase_add_test(written, what_the_twin_does_not_compute);
    tcase_add_test(written, scores_that_the_twin_does_not_compute);
    tcase_add_test(written, twenty_thousand_elements_are_not_large);
    tcase_add_test(written, small_cases_are_like_the_large_one);
    tcase_add_test(memory, nothing_is_kept);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
