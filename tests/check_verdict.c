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

#include "report.h"
#include "shrink.h"
#include "verdict_parts.h"

enum { ERROR = 512 };

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
    memcpy(p, x, n * sizeof *p);
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
    volatile long double one = 1, more = one + 0x1p-60L; /* equal under Valgrind, which computes long double as double */
    ck_assert_msg(more == one || !verdict_ambiguous(&s, 0, 4, 2, the_index), "an ulp less and it may not");
    free(s.value);
    free(s.bound);
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
    ck_assert_msg(isinf(h.out[MARGIN].bound[0]), "a margin is never judged, whatever the file says");
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
    op_case_free(c);
    verdict_golden_clear(&g);
    c = op_case_new(op, "T=1,N=2,d=2", "k=1", err, sizeof err);
    ck_assert_msg(c != NULL, "%s", err);
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
    op_case_free(c);
    verdict_golden_clear(&g);
    c = op_case_new(op, "T=1,N=2,d=2", "k=2", err, sizeof err);
    ck_assert_msg(c != NULL, "%s", err);
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
    op_case_free(c);
    verdict_golden_clear(&g);
    c = op_case_new(op, "T=2,N=4", "k=2", err, sizeof err);
    ck_assert_msg(c != NULL, "%s", err);
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
    op_case_free(c);
    verdict_golden_clear(&g);
    c = op_case_new(op, "T=2,N=2", "k=2", err, sizeof err);
    ck_assert_msg(c != NULL, "%s", err);
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
    ck_assert_ptr_nonnull(strstr(w->formula, "P divided by T*K"));
    ck_assert_ptr_nonnull(strstr(w->formula, "f over all K choices divided by T"));
    ck_assert_ptr_nonnull(strstr(w->met, "CompeteSMoE"));
    ck_assert_ptr_nonnull(strstr(w->met, "OLMoE"));
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
    const char *const bad[] = {"LblProbOverTK+LblProbOverTK",
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
    ck_assert_ptr_null(verdict_variant("", "TieOrder+TieOrder"));
}
END_TEST

/* The twin's two at once on the same case: P is that of the one, f that of the other. */
START_TEST(the_twin_computes_two_at_once)
{
    const char *const bad[] = {"", "+", "LblProbOverTK+", "+LblProbOverTK", "LblProbOverTK++LblTopKNorm", "LblProb",
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
    op_case_free(c);
    verdict_golden_clear(&g);
    c = op_case_new(op_find("layer.dispatch"), "T=2,d=1,K=2", "experts=2,capacity=1", err, sizeof err);
    ck_assert_msg(c != NULL, "%s", err);
    memcpy(op_in(c, "x"), (const double[]){3, 5}, 2 * sizeof(double));
    memcpy(op_in_i64(c, "index"), index, sizeof index);
    memcpy(op_cot(c, "xe"), (const double[]){1, 2}, 2 * sizeof(double));
    ck_assert_int_eq(op_run(c), SMOE_OK);
    ck_assert_msg(verdict_golden_run(c, profile, &g, err, sizeof err) == 0, "%s", err);
    dispatch_answer((const double[]){3, 5}, by_choice, (const double[]){1, 2});
    ck_assert_msg(v.pass && v.matches == 0, "the right answer");
    dispatch_answer((const double[]){3, 3}, by_token, (const double[]){3, 0});
    ck_assert_msg(!v.pass && !find("slot")->pass, "other places are wrong");
    ck_assert_msg(v.matches == 1 && v.match[0].tells &&
                      strcmp(v.match[0].variant->name, "CapacityDrop/token") == 0,
                  "and known: served token by token");
    dispatch_answer((const double[]){3, 3}, neither, (const double[]){3, 0});
    ck_assert_msg(!v.pass && v.matches == 0, "the same with places of nobody's making has no name");
    dispatch_answer((const double[]){3, 5}, by_token, (const double[]){1, 2});
    ck_assert_msg(!v.pass && find("xe")->pass && v.matches == 0, "nor has a mixture of two");
}
END_TEST

START_TEST(integers_have_power_too)
{
    static bool exposed[TWIN_VARIANTS];
    size_t at = 0;
    profile = twin_profile_find("bf16");
    while (strcmp(twin_variants[at].op, "layer.dispatch") != 0 || strcmp(twin_variants[at].name, "CapacityDrop/token"))
        at++;
    op_case_free(c);
    verdict_golden_clear(&g);
    c = op_case_new(op_find("layer.dispatch"), "T=2,d=1,K=2", "experts=2,capacity=1", err, sizeof err);
    ck_assert_msg(c != NULL, "%s", err);
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
    static const char *const text[] = {"", "k", "k=", "k=2 ", "k=2 cou", "k=2 count", "k=2 count=", "else=1 count=first"};
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
        op_case *x = op_case_from_spec(op_registry[o], &op_registry[o]->cases[0], 1, err, sizeof err);
        ck_assert_msg(x != NULL, "%s", err);
        size_t rounds = 0;
        for (l = shrink_propose(x); l.steps > 0; l = shrink_propose(x), rounds++) {
            ck_assert_msg(rounds < 300, "%s has no end", op_registry[o]->id);
            const size_t take = o % 8 == 0 ? l.steps - 1 : 0; /* the least bold of some operations, which takes long */
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
    ck_assert_str_eq(text, "T=1 N=2 count=first\n    r [1,2] = 0.10000000000000001 -3\n    mask [1] = 1");
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
    u[0].pass = true;
    u[1].pass = false;
    ck_assert_msg(!shrink_fails_alike(&large, &small), "y is another failure");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verdict");
    TCase *elements = tcase_create("elements"), *tensors = tcase_create("tensors");
    TCase *decisions = tcase_create("decisions");
    TCase *twin = tcase_create("twin"), *reports = tcase_create("reports");
    TCase *const all[] = {elements, tensors, decisions, twin, reports};
    for (size_t i = 0; i < 5; i++) {
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
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
