/* The registry of operations, cases, prompts and random draws (verify/oracle/op.h, prompt.h). */
#include <check.h>
#include <gsl/gsl_rng.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "manifest.h"
#include "op.h"
#include "prompt.h"
#include "tensorfile.h"
#include "twin.h"

/* --- an operation of this test's own: y_tj = the j-th element of row t, scaled ----------------------------------- */

static const char *toy_check(const op_case *c)
{
    return op_dim(c, 'K') > op_dim(c, 'N') ? "k must be at most N" : NULL;
}

static smoe_status toy_forward(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K');
    for (size_t t = 0; t < T; t++)
        for (size_t j = 0; j < K; j++) {
            op_out(c, "y")[t * K + j] = op_in(c, "r")[t * N + j] * op_real(c, "scale");
            op_out_i64(c, "index")[t * K + j] = (int64_t)j;
        }
    return SMOE_OK;
}

static smoe_status toy_vjp(op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), K = op_dim(c, 'K');
    for (size_t t = 0; t < T; t++)
        for (size_t j = 0; j < K; j++) op_grad(c, "r")[t * N + j] = op_cot(c, "y")[t * K + j] * op_real(c, "scale");
    return SMOE_OK;
}

static const op_tensor toy_in[] = {{"r", "T,N", OP_INPUT, OP_DIFF, "logits"},
                                   {"wide", "N,3", OP_INPUT, 0, "a number in its shape"},
                                   {NULL, NULL, 0, 0, NULL}};
static const op_tensor toy_out[] = {{"index", "T,K", OP_DECISION, OP_I64, "chosen"},
                                    {"y", "T,K", OP_BOUNDED, OP_DIFF, "taken"},
                                    {"total", "", OP_STAGE, 0, "a scalar"},
                                    {NULL, NULL, 0, 0, NULL}};
static const op_param toy_param[] = {{"k", OP_INT, "2", "taken"},
                                     {"mode", OP_CHOICE, "plain|plainer", "nothing"},
                                     {"scale", OP_REAL, "0.125", "factor"},
                                     {NULL, OP_INT, NULL, NULL}};
static const op_spec toy_cases[] = {{"one", "core", "T=2,N=4", "k=1", "", "shortest", NULL},
                                    {NULL, NULL, NULL, NULL, NULL, NULL, NULL}};
static const op_record toy = {"gate.toy",         "Toy",       "G.1",   "y = r/8", "here",
                              "ref/gate.c: none", toy_in,      toy_out, toy_param, toy_cases,
                              toy_check,          toy_forward, toy_vjp};

/* --- integrity --------------------------------------------------------------------------------------------------- */

static char fault[400];

__attribute__((format(printf, 1, 2))) static const char *say(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(fault, sizeof fault, format, ap);
    va_end(ap);
    return fault;
}

static const char *tensors_fault(const op_record *op, const op_tensor *t, bool input)
{
    for (size_t i = 0; t[i].name; i++) {
        if (i >= OP_TENSORS) return say("too many tensors");
        if ((t[i].kind == OP_INPUT) != input) return say("%s is in the wrong list", t[i].name);
        if (!t[i].meaning || !*t[i].meaning) return say("%s has no meaning", t[i].name);
        if ((t[i].flags & OP_I64) && (t[i].flags & OP_DIFF)) return say("%s: an integer has no gradient", t[i].name);
        if (t[i].kind == OP_DECISION && !(t[i].flags & OP_I64)) return say("%s: a decision is integers", t[i].name);
        if (strncmp(t[i].name, "d_", 2) == 0 || strchr(t[i].name, '.')) return say("%s: reserved name", t[i].name);
        size_t twice = 0;
        for (const op_tensor *o = op->in; o->name; o++) twice += strcmp(o->name, t[i].name) == 0;
        for (const op_tensor *o = op->out; o->name; o++) twice += strcmp(o->name, t[i].name) == 0;
        if (twice != 1) return say("%s: two tensors have that name", t[i].name);
    }
    return NULL;
}

static const char *cases_fault(const op_record *op)
{
    static const char *const suites[] = {"smoke", "core", "adversarial", "large", "core,adversarial"};
    size_t known = 0, n = 0;
    for (const op_spec *s = op->cases; s->name; s++, n++) {
        char name[MANIFEST_NAME];
        snprintf(name, sizeof name, "%s.%s", op->id, s->name);
        if (!manifest_name_ok(name)) return say("case %s: not a file name", s->name);
        if (!s->why || !*s->why) return say("case %s: nothing says what it is for", s->name);
        if (!s->flags) return say("case %s: no flags", s->name);
        for (size_t i = 0; i < 5; i++) known += strcmp(suites[i], s->suite) == 0;
        if (known != n + 1) return say("case %s: unknown suite %s", s->name, s->suite);
        for (const op_spec *o = op->cases; o < s; o++)
            if (strcmp(o->name, s->name) == 0) return say("case %s: two cases have that name", s->name);
    }
    return n ? NULL : say("no case");
}

/* NULL if a record is whole, else what is wrong with it. */
static const char *record_fault(const op_record *op)
{
    bool out_diff = false, in_diff = false;
    if (!op->title || !op->formula || !op->source || !op->code || !op->forward) return say("a field is missing");
    if (!op->equations || !strchr("NEGLBCKST", op->equations[0])) return say("equations '%s'", op->equations);
    if (strncmp(op->code, "ref/", 4) != 0) return say("code '%s' is not in ref/", op->code);
    const char *in = tensors_fault(op, op->in, true), *out = in ? in : tensors_fault(op, op->out, false);
    if (out) return out;
    for (const op_tensor *t = op->in; t->name; t++) in_diff = in_diff || (t->flags & OP_DIFF);
    for (const op_tensor *t = op->out; t->name; t++) out_diff = out_diff || (t->flags & OP_DIFF);
    if (in_diff != out_diff || in_diff != (op->vjp != NULL))
        return say("gradients, cotangents and vjp do not go together");
    return cases_fault(op);
}

START_TEST(records_are_whole)
{
    ck_assert_msg(op_registry[0] != NULL, "the registry is empty");
    for (size_t i = 0; op_registry[i]; i++) {
        const char *wrong = record_fault(op_registry[i]);
        ck_assert_msg(!wrong, "record %s: %s", op_registry[i]->id, wrong);
        ck_assert_msg(op_find(op_registry[i]->id) == op_registry[i], "two records have the id %s", op_registry[i]->id);
    }
    ck_assert_ptr_null(op_find("no.such"));
    ck_assert_ptr_null(op_find(""));
}
END_TEST

/* The negative control of records_are_whole: each spoilt record is told from a whole one. */
START_TEST(broken_records_are_seen)
{
    static const op_tensor twice[] = {
        {"r", "T,N", OP_INPUT, OP_DIFF, "x"}, {"r", "T,N", OP_INPUT, OP_DIFF, "x"}, {NULL, NULL, 0, 0, NULL}};
    static const op_tensor strange[] = {{"d_r", "T,N", OP_INPUT, OP_DIFF, "x"}, {NULL, NULL, 0, 0, NULL}};
    static const op_spec suite[] = {{"a", "cor", "T=1,N=2", "", "", "w", NULL},
                                    {NULL, NULL, NULL, NULL, NULL, NULL, NULL}};
    static const op_spec same[] = {{"a", "core", "T=1,N=2", "", "", "w", NULL},
                                   {"a", "core", "T=1,N=2", "", "", "w", NULL},
                                   {NULL, NULL, NULL, NULL, NULL, NULL, NULL}};
    ck_assert_msg(!record_fault(&toy), "%s", record_fault(&toy));
    op_record bad = toy;
    bad.in = twice;
    ck_assert_ptr_nonnull(record_fault(&bad));
    bad.in = strange;
    ck_assert_ptr_nonnull(record_fault(&bad));
    bad = toy;
    bad.cases = suite;
    ck_assert_ptr_nonnull(record_fault(&bad));
    bad.cases = same;
    ck_assert_ptr_nonnull(record_fault(&bad));
    bad = toy;
    bad.vjp = NULL;
    ck_assert_ptr_nonnull(record_fault(&bad));
    bad = toy;
    bad.code = "src/x.c";
    ck_assert_ptr_nonnull(record_fault(&bad));
}
END_TEST

START_TEST(cases_belong_to_suites)
{
    const op_spec both = {.suite = "core,adversarial"}, one = {.suite = "core"};
    ck_assert(op_in_suite(&both, "core") && op_in_suite(&both, "adversarial") && op_in_suite(&both, "large,core"));
    ck_assert(!op_in_suite(&both, "smoke") && !op_in_suite(&both, "cor"));
    ck_assert(op_in_suite(&one, "core") && op_in_suite(&one, "adversarial,core"));
    ck_assert(!op_in_suite(&one, "adversarial") && !op_in_suite(&one, "smoke,large") && !op_in_suite(&one, ""));
}
END_TEST

START_TEST(variants_name_operations)
{
    for (const twin_variant *v = twin_variants; v->op; v++)
        ck_assert_msg(op_find(v->op), "variant %s is of an unknown operation %s", v->name, v->op);
}
END_TEST

/* Is one of the cases of core or adversarial drawn with this choice, of so many letters? */
static bool is_drawn(const op_record *op, const char *param, const char *choice, size_t letters, bool first)
{
    for (const op_spec *s = op->cases; s->name; s++) {
        if (!op_in_suite(s, "core,adversarial")) continue;
        const char *at = s->set;
        while (*at && !(strncmp(at, param, strlen(param)) == 0 && at[strlen(param)] == '=')) {
            at += strcspn(at, ",");
            at += *at == ',';
        }
        if (!*at && first) return true; /* the default */
        if (*at && strncmp(at + strlen(param) + 1, choice, letters) == 0 &&
            strchr(",", at[strlen(param) + 1 + letters])) /* which finds the end of the text too */
            return true;
    }
    return false;
}

/* NULL if each choice of each parameter is drawn, else one that is not. */
static const char *undrawn(const op_record *op)
{
    for (const op_param *p = op->param; p && p->name; p++) {
        if (p->type != OP_CHOICE) continue;
        for (const char *choice = p->values; *choice;) {
            const size_t letters = strcspn(choice, "|");
            if (!is_drawn(op, p->name, choice, letters, choice == p->values))
                return say("%s=%.*s", p->name, (int)letters, choice);
            choice += letters + (choice[letters] == '|');
        }
    }
    return NULL;
}

/* A client that passes these suites has been asked for every choice there is. */
START_TEST(every_choice_is_drawn)
{
    for (size_t i = 0; op_registry[i]; i++)
        ck_assert_msg(!undrawn(op_registry[i]), "%s: no case of core or adversarial has %s", op_registry[i]->id,
                      undrawn(op_registry[i]));
    ck_assert_str_eq(undrawn(&toy), "mode=plainer"); /* the negative control */
}
END_TEST

START_TEST(every_case_runs)
{
    for (size_t i = 0; op_registry[i]; i++)
        for (const op_spec *s = op_registry[i]->cases; s->name; s++) {
            char err[400];
            if (op_in_suite(s, "large")) continue; /* minutes under valgrind; gen and gradcheck run them */
            op_case *c = op_case_from_spec(op_registry[i], s, 1, err, sizeof err);
            ck_assert_msg(c != NULL, "%s.%s: %s", op_registry[i]->id, s->name, err);
            const smoe_status status = op_run(c);
            ck_assert_msg(status == SMOE_OK, "%s.%s: %s", op_registry[i]->id, s->name, smoe_strerror(status));
            op_case_free(c);
        }
}
END_TEST

static bool same_bits(const op_value *a, const op_value *b)
{
    if (a->count != b->count) return false;
    return (!a->f64 || memcmp(a->f64, b->f64, a->count * sizeof(double)) == 0) &&
           (!a->i64 || memcmp(a->i64, b->i64, a->count * sizeof(int64_t)) == 0);
}

/* With NaN as the last element of v a function of c either refuses, or does not read it: all is as in the clean case. */
static bool refused_or_unread(op_case *c, smoe_status (*function)(op_case *), op_value *v, const op_case *clean)
{
    if (!v->f64 || v->count == 0) return true;
    double *last = v->f64 + v->count - 1;
    const double kept = *last;
    *last = NAN;
    const smoe_status status = function(c);
    *last = kept;
    bool same = status == SMOE_OK;
    for (size_t t = 0; t < OP_TENSORS && same; t++)
        same = same_bits(&c->out[t], &clean->out[t]) &&
               (function == c->op->forward || same_bits(&c->grad[t], &clean->grad[t]));
    return same || status == SMOE_EDOM;
}

/* The last element is where a check that counts with a wrong size ends too early.  NULL, or whose is taken for a number. */
static const char *last_element_taken(const op_record *op, const op_spec *s)
{
    char err[400];
    const char *found = NULL;
    op_case *clean = op_case_from_spec(op, s, 1, err, sizeof err), *c = op_case_from_spec(op, s, 1, err, sizeof err);
    if (!clean || !c || op_run(clean) != SMOE_OK) return say("does not run");
    for (size_t t = 0; op->in[t].name && !found; t++)
        if (!refused_or_unread(c, op->forward, &c->in[t], clean)) found = say("%s, forward", op->in[t].name);
    if (op->vjp && op_run(c) != SMOE_OK) found = say("does not run again");
    for (size_t t = 0; op->vjp && op->out[t].name && !found; t++)
        if (!refused_or_unread(c, op->vjp, &c->cot[t], clean)) found = say("d_%s", op->out[t].name);
    for (size_t t = 0; op->vjp && op->out[t].name && !found; t++)
        if (!refused_or_unread(c, op->vjp, &c->out[t], clean)) found = say("%s, backward", op->out[t].name);
    const bool bare = strncmp(op->id, "numerics.", 9) == 0; /* their vjps leave that to forward */
    for (size_t t = 0; op->vjp && !bare && op->in[t].name && !found; t++)
        if (!refused_or_unread(c, op->vjp, &c->in[t], clean)) found = say("%s, backward", op->in[t].name);
    op_case_free(clean);
    op_case_free(c);
    return found;
}

/* Under Valgrind (SMOE_TEST_LIGHT) in the suite smoke only. */
START_TEST(last_elements_are_looked_at)
{
    const bool light = getenv("SMOE_TEST_LIGHT") != NULL;
    for (size_t i = 0; op_registry[i]; i++)
        for (const op_spec *s = op_registry[i]->cases; s->name; s++) {
            if (op_in_suite(s, "large") || (light && !op_in_suite(s, "smoke"))) continue;
            const char *taken = last_element_taken(op_registry[i], s);
            ck_assert_msg(taken == NULL, "%s.%s: NaN at the end of %s is taken for a number", op_registry[i]->id,
                          s->name, taken);
        }
}
END_TEST

START_TEST(a_seed_means_a_case)
{
    char err[400];
    for (size_t i = 0; op_registry[i]; i++) {
        const op_spec *s = op_registry[i]->cases;
        op_case *a = op_case_from_spec(op_registry[i], s, 7, err, sizeof err);
        op_case *b = op_case_from_spec(op_registry[i], s, 7, err, sizeof err);
        ck_assert_msg(op_run(a) == SMOE_OK && op_run(b) == SMOE_OK, "%s", op_registry[i]->id);
        for (size_t t = 0; t < OP_TENSORS; t++)
            ck_assert_msg(same_bits(&a->in[t], &b->in[t]) && same_bits(&a->out[t], &b->out[t]) &&
                              same_bits(&a->grad[t], &b->grad[t]) && same_bits(&a->cot[t], &b->cot[t]),
                          "%s.%s: two evaluations with one seed differ", op_registry[i]->id, s->name);
        op_case_free(a);
        op_case_free(b);
    }
}
END_TEST

/* Forward and vjp write their outputs whole: what was there before does not show. */
START_TEST(vjps_overwrite)
{
    char err[400];
    for (size_t i = 0; op_registry[i]; i++) {
        op_case *a = op_case_from_spec(op_registry[i], op_registry[i]->cases, 3, err, sizeof err);
        op_case *b = op_case_from_spec(op_registry[i], op_registry[i]->cases, 3, err, sizeof err);
        for (size_t t = 0; t < OP_TENSORS; t++) {
            for (size_t j = 0; b->grad[t].f64 && j < b->grad[t].count; j++) b->grad[t].f64[j] = 1e300;
            for (size_t j = 0; b->out[t].f64 && j < b->out[t].count; j++) b->out[t].f64[j] = -1e300;
        }
        ck_assert_msg(op_run(a) == SMOE_OK && op_run(b) == SMOE_OK, "%s", op_registry[i]->id);
        for (size_t t = 0; t < OP_TENSORS; t++)
            ck_assert_msg(same_bits(&a->out[t], &b->out[t]) && same_bits(&a->grad[t], &b->grad[t]),
                          "%s: an output depends on what was in its memory", op_registry[i]->id);
        op_case_free(a);
        op_case_free(b);
    }
}
END_TEST

/* Every input of a case that is not flagged `wide` is exact in every candidate format. */
static const char *unrepresentable(const op_record *op, const op_spec *s, uint64_t seed)
{
    char err[400];
    const char *found = NULL;
    op_case *c = op_case_from_spec(op, s, seed, err, sizeof err);
    if (!c) return say("%s", err);
    for (size_t t = 0; c->op->in[t].name && !found; t++)
        for (size_t j = 0; c->in[t].f64 && j < c->in[t].count && !found; j++)
            if (op_representable(c->in[t].f64[j]) != c->in[t].f64[j])
                found = say("seed %d: %s[%zu] = %a", (int)seed, c->op->in[t].name, j, c->in[t].f64[j]);
    op_case_free(c);
    return found;
}

START_TEST(inputs_are_representable)
{
    for (size_t i = 0; op_registry[i]; i++)
        for (const op_spec *s = op_registry[i]->cases; s->name; s++)
            for (uint64_t seed = 1; seed <= 4; seed++) {
                if (strstr(s->flags, "wide") || op_in_suite(s, "large")) continue;
                const char *wrong = unrepresentable(op_registry[i], s, seed);
                ck_assert_msg(!wrong, "%s.%s: %s: not exact in bf16 and f16; make it so, or flag the case `wide`",
                              op_registry[i]->id, s->name, wrong);
            }
}
END_TEST

/* --- binding ----------------------------------------------------------------------------------------------------- */

START_TEST(sizes_and_parameters_bind)
{
    char err[400];
    op_case *c = op_case_new(&toy, "N=5,T=3", "mode=plainer,k=4", err, sizeof err);
    ck_assert_msg(c != NULL, "%s", err);
    ck_assert_uint_eq(op_dim(c, 'T'), 3);
    ck_assert_uint_eq(op_dim(c, 'N'), 5);
    ck_assert_uint_eq(op_dim(c, 'K'), 4);
    ck_assert_int_eq(op_int(c, "k"), 4);
    ck_assert(op_is(c, "mode", "plainer") && !op_is(c, "mode", "plain"));
    ck_assert(op_real(c, "scale") == 0.125);
    ck_assert_uint_eq(c->in[0].count, 15);
    ck_assert_uint_eq(c->in[1].dim[1], 3);
    ck_assert_uint_eq(c->out[1].count, 12);
    ck_assert(c->out[2].rank == 0 && c->out[2].count == 1);
    ck_assert(c->grad[0].f64 && !c->grad[1].f64 && c->cot[1].f64 && !c->cot[2].f64);
    op_case_free(c);
    c = op_case_new(&toy, "T=0,N=2", "", err, sizeof err);
    ck_assert_msg(c != NULL, "no tokens is a legal case: %s", err);
    ck_assert(c->in[0].count == 0 && c->in[0].f64 != NULL);
    op_case_free(c);
}
END_TEST

START_TEST(bad_sizes_and_parameters_are_refused)
{
    static const struct {
        const char *dims, *set, *expect;
    } bad[] = {
        {"T=2", "", "size N"},
        {"T=2,N=3,Q=1", "", "no size 'Q'"},
        {"T=2,N=3,K=1", "", "no size 'K'"},
        {"T=2,T=2,N=3", "", "given twice"},
        {"T=-1,N=3", "", "outside"},
        {"T=1048577,N=3", "", "outside"},
        {"T=1048576,N=1048576", "", "elements"},
        {"T=999999999999999999999,N=3", "", "whole number"},
        {"T=two,N=3", "", "whole number"},
        {"T= 2,N=3", "", "whole number"},
        {"T=2,N=", "", "whole number"},
        {"T=2,N", "", "NAME=VALUE"},
        {"T=2,,N=3", "", "NAME=VALUE"},
        {"T=2,N=3,", "", "NAME=VALUE"},
        {"TT=2,N=3", "", "no size 'TT'"},
        {"T=2,N=3", "kk=2", "no parameter 'kk' (it has k, mode, scale)"},
        {"T=2,N=3", "k=2,k=2", "given twice"},
        {"T=2,N=3", "k=1.5", "whole number"},
        {"T=2,N=3", "k=-1", "negative"},
        {"T=2,N=3", "k=4", "k must be at most N"},
        {"T=2,N=3", "mode=plaine", "expected plain|plainer"},
        {"T=2,N=3", "mode=plain|plainer", "expected plain|plainer"},
        {"T=2,N=3", "mode=", "expected plain|plainer"},
        {"T=2,N=3", "scale=nan", "finite number"},
        {"T=2,N=3", "scale=1e999", "finite number"},
        {"T=2,N=3", "scale=1x", "finite number"},
        {"T=2,N=3", "=1", "NAME=VALUE"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char err[400] = "";
        op_case *c = op_case_new(&toy, bad[i].dims, bad[i].set, err, sizeof err);
        ck_assert_msg(!c, "'%s' '%s' was accepted", bad[i].dims, bad[i].set);
        ck_assert_msg(strstr(err, bad[i].expect) && !strchr(err, '\n'), "'%s' '%s': \"%s\" does not say \"%s\"",
                      bad[i].dims, bad[i].set, err, bad[i].expect);
    }
}
END_TEST

/* A misspelt name in a record stops the program; the test binary's own record is spelt wrongly here on purpose. */
START_TEST(unknown_name_aborts)
{
    char err[400];
    op_case *c = op_case_new(&toy, "T=1,N=2", "", err, sizeof err);
    switch (_i) {
    case 0:
        op_dim(c, 'z');
        break;
    case 1:
        op_int(c, "kay");
        break;
    case 2:
        op_real(c, "mode");
        break;
    case 3:
        op_is(c, "mode", "plainest");
        break;
    case 4:
        op_in(c, "y");
        break;
    case 5:
        op_out(c, "index");
        break;
    case 6:
        op_out_i64(c, "y");
        break;
    case 7:
        op_cot(c, "total");
        break;
    default:
        op_grad(c, "wide");
        break;
    }
}
END_TEST

/* --- drawing ----------------------------------------------------------------------------------------------------- */

START_TEST(mt19937_is_the_published_one)
{
    /* The first outputs for seed 5489, the default seed of Matsumoto and Nishimura's mt19937ar.c. */
    static const unsigned long expected[] = {3499211612UL, 581869302UL, 3890346734UL, 3586334585UL};
    gsl_rng *r = gsl_rng_alloc(gsl_rng_mt19937);
    gsl_rng_set(r, 5489);
    for (size_t i = 0; i < 4; i++) ck_assert_uint_eq(gsl_rng_get(r), expected[i]);
    gsl_rng_free(r);
}
END_TEST

/* FNV-1a of "chongo was here!\n" is 0x46810940eff5f915 in the function's published test vectors; with its first eight
 * bytes as the seed and the rest as the stream the generator is seeded with 0x46810940 ^ 0xeff5f915 = 0xa974f055.  What
 * follows from that seed is NumPy's: RandomState(0xa974f055).random_sample() and .standard_normal(), which makes the
 * same uniforms and uses the same polar method, but hands out each pair in the other order. */
static op_rng *known_stream(void) { return op_rng_new(0x77206f676e6f6863, "as here!\n"); }

START_TEST(uniforms_are_known)
{
    op_rng *r = known_stream();
    ck_assert(op_uniform(r) == 0x1.d8097fc1d6fa2p-2);
    ck_assert(op_uniform(r) == 0x1.27db68bc113e0p-1);
    ck_assert(op_uniform(r) == 0x1.2ba8f9e72a4d4p-1);
    op_rng_free(r);
}
END_TEST

START_TEST(normals_are_known)
{
    static const double expected[] = {-0x1.2f5a652fb6b10p+0, 0x1.2e8cbea68791ep+1,  0x1.559f306f7eb46p-1,
                                      -0x1.a594cf0624e5cp+0, -0x1.043a2382974ddp+0, -0x1.1e3a6d8299690p-1};
    op_rng *r = known_stream();
    for (size_t i = 0; i < 6; i++) {
        const double x = op_normal(r);
        /* 2^-51: NumPy's logarithm is the C library's, which is not correctly rounded */
        ck_assert_msg(fabs(x - expected[i]) <= 0x1p-51 * fabs(expected[i]), "normal %zu is %a, NumPy has %a", i, x,
                      expected[i]);
    }
    op_rng_free(r);
}
END_TEST

START_TEST(streams_are_apart)
{
    op_rng *a = op_rng_new(1, "gate.weights/ties"), *b = op_rng_new(2, "gate.weights/ties");
    op_rng *c = op_rng_new(1, "gate.weights/tied"), *d = op_rng_new(1, "gate.weights/ties");
    const double x = op_uniform(a);
    ck_assert(x != op_uniform(b));
    ck_assert(x != op_uniform(c));
    ck_assert(x == op_uniform(d));
    op_rng_free(a);
    op_rng_free(b);
    op_rng_free(c);
    op_rng_free(d);
}
END_TEST

START_TEST(moments_of_normals)
{
    enum { n = 20000 };
    double sum = 0, squares = 0;
    op_rng *r = op_rng_new(1, "moments");
    for (size_t i = 0; i < n; i++) {
        const double x = op_normal(r);
        sum += x;
        squares += x * x;
    }
    op_rng_free(r);
    ck_assert_msg(fabs(sum / n) < 5 / sqrt(n), "mean %g", sum / n); /* 5 standard errors */
    ck_assert_msg(fabs(squares / n - 1) < 5 * sqrt(2.0 / n), "variance %g", squares / n);
}
END_TEST

START_TEST(below_is_even)
{
    enum { n = 6000 };
    size_t count[3] = {0};
    op_rng *r = op_rng_new(1, "below");
    for (size_t i = 0; i < n; i++) count[op_below(r, 3)]++;
    for (size_t i = 0; i < 3; i++) /* 5 standard deviations of a binomial */
        ck_assert_msg(fabs((double)count[i] - n / 3.0) < 5 * sqrt(n * 2.0 / 9), "%zu of %d", count[i], n);
    for (size_t i = 0; i < 100; i++) ck_assert_uint_eq(op_below(r, 1), 0);
    for (size_t i = 0; i < 100; i++) ck_assert(op_below(r, (UINT64_C(1) << 63) + 1) <= UINT64_C(1) << 63);
    op_rng_free(r);
}
END_TEST

START_TEST(representable_values)
{
    static const double pair[][2] = {
        {0, 0},
        {1, 1},
        {1 + 0x1p-7, 1 + 0x1p-7}, /* eight bits: kept */
        {1 + 0x1p-8, 1}, /* halfway between 128/128 and 129/128: to the even 128 */
        {1 + 3 * 0x1p-8, 1 + 0x1p-6}, /* halfway between 129/128 and 130/128: to the even 130 */
        {1 + 0x1p-8 + 0x1p-50, 1 + 0x1p-7}, /* just above halfway */
        {255.5, 256}, /* 511/2, halfway between 255 and 256: 256 = 128 * 2 is even */
        {0.1, 205.0 / 2048}, /* 0.1 * 2048 = 204.8 */
        {-0.1, -205.0 / 2048},
        {0x1p-14, 0x1p-14}, /* binary16's smallest normal number */
        {0x1.01p-14, 0x1p-14},
        {0x1.fdp-15, 0}, /* below it */
        {-0x1p-24, 0},
        {0x1p-1074, 0},
        {65280, 65280}, /* 255 * 2^8 */
        {65504, 65280}, /* binary16's largest number would need eleven bits */
        {-1e300, -65280},
        {INFINITY, 65280},
    };
    for (size_t i = 0; i < sizeof pair / sizeof *pair; i++)
        ck_assert_msg(op_representable(pair[i][0]) == pair[i][1], "%a gives %a, expected %a", pair[i][0],
                      op_representable(pair[i][0]), pair[i][1]);
    ck_assert(isnan(op_representable(NAN)));
}
END_TEST

START_TEST(default_filling)
{
    static const op_tensor in[] = {{"x", "T,d", OP_INPUT, 0, "x"},
                                   {"w1", "h,d", OP_INPUT, 0, "w"},
                                   {"b1", "h", OP_INPUT, 0, "b"},
                                   {NULL, NULL, 0, 0, NULL}};
    static const double deviation[] = {1, 1.0 / 8, 1.0 / 4}; /* 1/sqrt(64), 1/4 */
    op_record op = toy;
    char err[400];
    op.in = in;
    op.out = toy_in + 2; /* none */
    op.param = NULL;
    op.check = NULL;
    op_case *c = op_case_new(&op, "T=64,d=64,h=4096", "", err, sizeof err);
    ck_assert_msg(c != NULL, "%s", err);
    op_rng *r = op_rng_new(1, "filling");
    op_fill_default(c, r);
    op_rng_free(r);
    for (size_t i = 0; i < 3; i++) {
        double squares = 0;
        const double n = (double)c->in[i].count;
        for (size_t j = 0; j < c->in[i].count; j++) squares += c->in[i].f64[j] * c->in[i].f64[j];
        const double ratio = squares / n / (deviation[i] * deviation[i]);
        /* 5 standard errors, and what rounding to eight bits adds */
        ck_assert_msg(fabs(ratio - 1) < 5 * sqrt(2 / n) + 0x1p-9, "%s: variance is %g of what was asked", in[i].name,
                      ratio);
    }
    op_case_free(c);
}
END_TEST

START_TEST(rows_apart)
{
    enum { T = 8, N = 256 };
    static double s[T * N];
    op_rng *r = op_rng_new(1, "apart");
    op_fill_apart(r, 0.05, T, N, s); /* the step is 1/16, the next power of two */
    op_rng_free(r);
    size_t moved = 0, rounded = 0;
    double nearest = INFINITY;
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < N; i++) {
            moved += s[t * N + i] != s[i];
            rounded += op_representable(s[t * N + i]) != s[t * N + i];
            for (size_t j = 0; j < i; j++) nearest = fmin(nearest, fabs(s[t * N + i] - s[t * N + j]));
        }
    ck_assert_msg(rounded == 0, "%zu scores are not representable", rounded);
    ck_assert_msg(nearest >= 0.0625, "two scores of a token are %g apart", nearest);
    ck_assert_msg(moved > T * N / 2, "the rows are alike");
}
END_TEST

/* --- prompts ----------------------------------------------------------------------------------------------------- */

static char path[] = "/tmp/check_registry.XXXXXX";

static void make_path(void)
{
    strcpy(path, "/tmp/check_registry.XXXXXX");
    const int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void remove_path(void) { unlink(path); }

/* A prompt of the toy: r [2,3] = 0..5, wide [3,3] = 1; `spoil` says how it is made wrong. */
typedef enum {
    GOOD,
    NO_R,
    NO_WIDE,
    EXTRA,
    RANK,
    SHAPE,
    FIXED,
    CLASH,
    DTYPE,
    COT_SHAPE,
    COT_DTYPE,
    COT_STAGE,
    COT_INPUT,
    HAS_NAN,
    HAS_INF,
    COT_NAN,
    META_KEY,
    META_OP,
    META_JSON,
    META_PARAM,
    META_CHOICE,
    META_K,
    GRADIENT,
    SPOILS
} spoil;

static void write_prompt(spoil how)
{
    double r[9] = {0, 1, 2, 3, 4, 5}, wide[12] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, d[12] = {1, 2, 3, 4};
    int64_t whole[12] = {0};
    size_t r_dim[] = {2, 3, 1}, wide_dim[] = {3, 3}, d_dim[] = {2, 2};
    char err[TENSOR_ERROR];
    tensor_file f = {0};
    const char *parameters = how == META_JSON     ? "{\"k\": "
                             : how == META_PARAM  ? "{\"k\": 2, \"kk\": 2}"
                             : how == META_CHOICE ? "{\"mode\": \"plainest\"}"
                             : how == META_K      ? "{\"k\": 4}"
                                                  : "{\"k\": 2, \"mode\": \"plain\", \"scale\": 0.5}";
    if (how == SHAPE) r_dim[1] = 4, wide_dim[0] = 4, d_dim[1] = 3;
    if (how == FIXED) wide_dim[1] = 4;
    if (how == CLASH) wide_dim[0] = 2;
    if (how == COT_SHAPE) d_dim[0] = 1;
    if (how == HAS_NAN) r[4] = NAN;
    if (how == HAS_INF) wide[2] = -INFINITY;
    if (how == COT_NAN) d[3] = NAN;
    tensor_file_add_meta(&f, "op", how == META_OP ? "gate.other" : "gate.toy");
    tensor_file_add_meta(&f, "parameters", parameters);
    tensor_file_add_meta(&f, "case", "gate.toy.one");
    if (how == META_KEY) tensor_file_add_meta(&f, "opp", "gate.toy");
    if (how != NO_R)
        tensor_file_add(&f, "r", how == DTYPE ? TENSOR_I64 : TENSOR_F64, how == RANK ? 3 : 2, r_dim,
                        how == DTYPE ? (const void *)whole : r);
    if (how != NO_WIDE) tensor_file_add(&f, "wide", TENSOR_F64, 2, wide_dim, wide);
    if (how == EXTRA) tensor_file_add(&f, "x", TENSOR_F64, 0, NULL, d);
    if (how == COT_STAGE) tensor_file_add(&f, "d_total", TENSOR_F64, 0, NULL, d);
    if (how == COT_INPUT || how == GRADIENT) tensor_file_add(&f, "d_r", TENSOR_F64, 2, r_dim, r);
    tensor_file_add(&f, "d_y", how == COT_DTYPE ? TENSOR_I64 : TENSOR_F64, 2, d_dim,
                    how == COT_DTYPE ? (const void *)whole : d);
    ck_assert_msg(tensor_file_write(path, &f, err, sizeof err) == 0, "%s", err);
    tensor_file_clear(&f);
}

START_TEST(prompts_are_read)
{
    char err[1024], *name;
    size_t cotangents;
    write_prompt(GOOD);
    op_case *c = op_case_from_prompt(path, &toy, "scale=0.25", &name, &cotangents, err, sizeof err);
    ck_assert_msg(c != NULL, "%s", err);
    ck_assert_str_eq(name, "gate.toy.one");
    ck_assert_uint_eq(cotangents, 1);
    ck_assert(op_real(c, "scale") == 0.25);
    ck_assert_int_eq(op_run(c), SMOE_OK);
    ck_assert(op_out(c, "y")[3] == 4 * 0.25);
    ck_assert(op_grad(c, "r")[4] == 4 * 0.25);
    free(name);
    op_case_free(c);
}
END_TEST

START_TEST(bad_prompts_are_refused)
{
    static const char *const expect[SPOILS] = {
        [NO_R] = "r: missing, expected an input [T,N]",
        [NO_WIDE] = "wide: missing",
        [EXTRA] = "x: unknown tensor, expected r wide d_y",
        [RANK] = "r: shape [2,3,1], expected [T,N]",
        [SHAPE] = "d_y: shape [2,3], expected [T,K]",
        [FIXED] = "wide: shape [3,4], expected [N,3]",
        [CLASH] = "wide: shape [2,3], expected [N,3] with N = 3 as in r",
        [DTYPE] = "r: type I64, expected F64, F32, BF16 or F16",
        [COT_SHAPE] = "d_y: shape [1,2], expected [T,K]",
        [COT_DTYPE] = "d_y: type I64",
        [COT_STAGE] = "d_total: output total is not differentiable",
        [COT_INPUT] = "d_r: unknown tensor",
        [HAS_NAN] = "r: element 4 is NaN, expected finite numbers",
        [HAS_INF] = "wide: element 2 is infinite",
        [COT_NAN] = "d_y: element 3 is NaN",
        [META_KEY] = "unknown key 'opp'",
        [META_OP] = "op is 'gate.other', expected 'gate.toy'",
        [META_JSON] = "parameters",
        [META_PARAM] = "no parameter 'kk'",
        [META_CHOICE] = "expected plain|plainer",
        [META_K] = "k must be at most N",
        [GRADIENT] = "d_r: unknown tensor",
    };
    for (int how = GOOD + 1; how < SPOILS; how++) {
        char err[1024] = "";
        write_prompt((spoil)how);
        op_case *c = op_case_from_prompt(path, &toy, NULL, NULL, NULL, err, sizeof err);
        ck_assert_msg(!c, "a prompt spoilt in way %d (%s) was accepted", how, expect[how]);
        ck_assert_msg(strstr(err, expect[how]) && strncmp(err, path, strlen(path)) == 0 && !strchr(err, '\n'),
                      "way %d: \"%s\" does not say \"%s\" of that file in one line", how, err, expect[how]);
    }
}
END_TEST

START_TEST(operation_comes_from_metadata)
{
    char err[1024];
    write_prompt(GOOD); /* gate.toy is not in the registry */
    ck_assert_ptr_null(op_case_from_prompt(path, NULL, NULL, NULL, NULL, err, sizeof err));
    ck_assert_msg(strstr(err, "expected an operation"), "%s", err);
    ck_assert_ptr_null(op_case_from_prompt("/nonexistent", NULL, NULL, NULL, NULL, err, sizeof err));
    ck_assert_msg(strstr(err, "/nonexistent"), "%s", err);
}
END_TEST

START_TEST(narrow_types_convert_exactly)
{
    static const float r[] = {1, 0.1f, -0x1p-149f, 3};
    static const uint16_t wide[] = {0x3f80, 0xc000, 0x0001, 0x7f7f, 0, 0x8000}; /* bf16: 1, -2, 2^-133, largest, +-0 */
    static const size_t r_dim[] = {2, 2}, wide_dim[] = {2, 3};
    char err[1024];
    size_t cotangents = 9;
    tensor_file f = {0};
    tensor_file_add(&f, "r", TENSOR_F32, 2, r_dim, r);
    tensor_file_add(&f, "wide", TENSOR_BF16, 2, wide_dim, wide);
    ck_assert_int_eq(tensor_file_write(path, &f, err, sizeof err), 0);
    tensor_file_clear(&f);
    op_case *c = op_case_from_prompt(path, &toy, NULL, NULL, &cotangents, err, sizeof err);
    ck_assert_msg(c != NULL, "%s", err);
    ck_assert_uint_eq(cotangents, 0);
    for (size_t i = 0; i < 4; i++) ck_assert(op_in(c, "r")[i] == (double)r[i]);
    ck_assert(op_in(c, "wide")[1] == -2 && op_in(c, "wide")[2] == 0x1p-133 && op_in(c, "wide")[3] == 0x1.fep127);
    ck_assert(op_cot(c, "y")[0] == 0); /* nobody gave one */
    op_case_free(c);
}
END_TEST

/* What op_add_prompt writes, op_case_from_prompt reads back, for every operation. */
START_TEST(prompts_round_trip)
{
    for (size_t i = 0; op_registry[i]; i++) {
        char err[1024], *name;
        const op_spec *s = op_registry[i]->cases;
        op_case *a = op_case_from_spec(op_registry[i], s, 5, err, sizeof err);
        tensor_file f = {0};
        ck_assert_int_eq(op_add_prompt(&f, a, "some.name"), 0);
        ck_assert_int_eq(tensor_file_write(path, &f, err, sizeof err), 0);
        tensor_file_clear(&f);
        op_case *b = op_case_from_prompt(path, NULL, NULL, &name, NULL, err, sizeof err);
        ck_assert_msg(b != NULL, "%s", err);
        ck_assert_str_eq(name, "some.name");
        ck_assert(b->op == a->op && memcmp(a->number, b->number, sizeof a->number) == 0);
        for (size_t j = 0; j < OP_PARAMS; j++)
            ck_assert(!a->choice[j] ? !b->choice[j] : strcmp(a->choice[j], b->choice[j]) == 0);
        for (size_t t = 0; t < OP_TENSORS; t++)
            ck_assert(same_bits(&a->in[t], &b->in[t]) && same_bits(&a->cot[t], &b->cot[t]));
        free(name);
        op_case_free(a);
        op_case_free(b);
    }
}
END_TEST

START_TEST(parameters_as_json)
{
    char err[400];
    op_case *c = op_case_new(&toy, "T=1,N=3", "k=3,scale=2", err, sizeof err);
    char *json = op_parameters_json(c);
    ck_assert_str_eq(json, "{\"k\": 3, \"mode\": \"plain\", \"scale\": 2.0}");
    free(json);
    op_case_free(c);
    c = op_case_new(&toy, "T=1,N=3", "scale=0.1", err, sizeof err);
    json = op_parameters_json(c);
    ck_assert_str_eq(json, "{\"k\": 2, \"mode\": \"plain\", \"scale\": 0.1}");
    free(json);
    op_case_free(c);
}
END_TEST

/* A parameter sizes an output: a small prompt must not ask for the whole memory, a large one may have what it needs. */
START_TEST(outputs_stay_in_proportion)
{
    char err[400] = "";
    const op_record *op = op_find("layer.dispatch");
    ck_assert_ptr_nonnull(op);
    op_case *c = op_case_new(op, "T=4,d=64,K=1", "experts=1024,capacity=1024", err, sizeof err);
    ck_assert_msg(!c && strstr(err, "outputs of 134217732 elements from inputs of"), "\"%s\"", err);
    c = op_case_new(op, "T=4,d=64,K=1", "experts=64,capacity=64", err, sizeof err);
    ck_assert_msg(c != NULL, "%s", err);
    op_case_free(c);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("registry");
    TCase *records = tcase_create("records"), *cases = tcase_create("cases"), *drawing = tcase_create("drawing");
    TCase *prompts = tcase_create("prompts");
    tcase_add_test(records, records_are_whole);
    tcase_add_test(records, outputs_stay_in_proportion);
    tcase_add_test(records, broken_records_are_seen);
    tcase_add_test(records, cases_belong_to_suites);
    tcase_add_test(records, variants_name_operations);
    tcase_add_test(records, every_choice_is_drawn);
    tcase_add_test(records, every_case_runs);
    tcase_add_test(records, last_elements_are_looked_at);
    tcase_add_test(records, a_seed_means_a_case);
    tcase_add_test(records, vjps_overwrite);
    tcase_add_test(records, inputs_are_representable);
    tcase_set_timeout(records, 600);
    tcase_add_test(cases, sizes_and_parameters_bind);
    tcase_add_test(cases, bad_sizes_and_parameters_are_refused);
    tcase_add_loop_test_raise_signal(cases, unknown_name_aborts, SIGABRT, 0, 9);
    tcase_set_timeout(drawing, 120); /* a shared machine, or valgrind */
    tcase_add_test(drawing, mt19937_is_the_published_one);
    tcase_add_test(drawing, uniforms_are_known);
    tcase_add_test(drawing, normals_are_known);
    tcase_add_test(drawing, streams_are_apart);
    tcase_add_test(drawing, moments_of_normals);
    tcase_add_test(drawing, below_is_even);
    tcase_add_test(drawing, representable_values);
    tcase_add_test(drawing, default_filling);
    tcase_add_test(drawing, rows_apart);
    tcase_add_checked_fixture(prompts, make_path, remove_path);
    tcase_add_test(prompts, prompts_are_read);
    tcase_add_test(prompts, bad_prompts_are_refused);
    tcase_add_test(prompts, operation_comes_from_metadata);
    tcase_add_test(prompts, narrow_types_convert_exactly);
    tcase_add_test(prompts, prompts_round_trip);
    tcase_add_test(prompts, parameters_as_json);
    tcase_set_timeout(prompts, 600);
    suite_add_tcase(suite, records);
    suite_add_tcase(suite, cases);
    suite_add_tcase(suite, drawing);
    suite_add_tcase(suite, prompts);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
