/* See smoe_verify.h. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "smoe_verify.h"
#include "verdict.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "0.1.0"
#endif

/* --- arrays with a guard at either end --------------------------------------------------------------------------- */

static const uint64_t guard = UINT64_C(0x7ff4deadbeef5a5a); /* no number that an answer would have: a signalling NaN */

typedef struct {
    uint64_t *room; /* guard, count elements, guard; NULL: never asked for */
} guarded;

static void *guarded_new(guarded *a, size_t count, bool integer)
{
    if (a->room) return a->room + 1;
    a->room = malloc((count + 2) * sizeof *a->room);
    if (!a->room) return NULL;
    const double nan = NAN;
    const int64_t none = -1;
    for (size_t i = 1; i <= count; i++) memcpy(&a->room[i], integer ? (const void *)&none : &nan, sizeof *a->room);
    a->room[0] = a->room[count + 1] = guard;
    return a->room + 1;
}

static bool guarded_whole(const guarded *a, size_t count) { return a->room[0] == guard && a->room[count + 1] == guard; }

/* --- a case, as the function sees it ----------------------------------------------------------------------------- */

struct smoe_verify_case {
    const op_case *c;
    const char *name, *precision;
    guarded out[OP_TENSORS], grad[OP_TENSORS];
};

const char *smoe_verify_op(const smoe_verify_case *c) { return c->c->op->id; }
const char *smoe_verify_name(const smoe_verify_case *c) { return c->name; }
const char *smoe_verify_precision(const smoe_verify_case *c) { return c->precision; }

size_t smoe_verify_dim(const smoe_verify_case *c, char letter)
{
    for (size_t i = 0; i < c->c->dims; i++)
        if (c->c->dim_name[i] == letter) return c->c->dim_size[i];
    fprintf(stderr, "smoe_verify: %s has no size '%c'\n", c->c->op->id, letter);
    return 0;
}

/* The index of a parameter of this kind, or -1 with a line. */
static int parameter(const smoe_verify_case *c, const char *name, bool choice)
{
    const op_param *p = c->c->op->param;
    for (int i = 0; p && p[i].name; i++)
        if (strcmp(p[i].name, name) == 0 && (p[i].type == OP_CHOICE) == choice) return i;
    fprintf(stderr, "smoe_verify: %s has no parameter '%s' that is a %s (see smoeref explain %s)\n", c->c->op->id, name,
            choice ? "choice" : "number", c->c->op->id);
    return -1;
}

long smoe_verify_int(const smoe_verify_case *c, const char *name) { return (long)smoe_verify_real(c, name); }

double smoe_verify_real(const smoe_verify_case *c, const char *name)
{
    const int i = parameter(c, name, false);
    return i < 0 ? 0 : c->c->number[i];
}

const char *smoe_verify_choice(const smoe_verify_case *c, const char *name)
{
    const int i = parameter(c, name, true);
    return i < 0 ? NULL : c->c->choice[i];
}

/* The index of a tensor that has such an array, or -1 with a line. */
static int slot(const smoe_verify_case *c, const op_tensor *t, const op_value *v, const char *name, bool integer,
                const char *what)
{
    for (int i = 0; t[i].name; i++)
        if (strcmp(t[i].name, name) == 0 && (integer ? v[i].i64 != NULL : v[i].f64 != NULL)) return i;
    fprintf(stderr, "smoe_verify: %s has no %s '%s' of %s (see smoeref explain %s)\n", c->c->op->id, what, name,
            integer ? "integers" : "floats", c->c->op->id);
    return -1;
}

const double *smoe_verify_input(const smoe_verify_case *c, const char *name)
{
    const int i = slot(c, c->c->op->in, c->c->in, name, false, "input");
    return i < 0 ? NULL : c->c->in[i].f64;
}

const int64_t *smoe_verify_input_i64(const smoe_verify_case *c, const char *name)
{
    const int i = slot(c, c->c->op->in, c->c->in, name, true, "input");
    return i < 0 ? NULL : c->c->in[i].i64;
}

const double *smoe_verify_cotangent(const smoe_verify_case *c, const char *output)
{
    const int i = slot(c, c->c->op->out, c->c->cot, output, false, "cotangent of an output");
    return i < 0 ? NULL : c->c->cot[i].f64;
}

double *smoe_verify_output(smoe_verify_case *c, const char *name)
{
    const int i = slot(c, c->c->op->out, c->c->out, name, false, "output");
    return i < 0 ? NULL : guarded_new(&c->out[i], c->c->out[i].count, false);
}

int64_t *smoe_verify_output_i64(smoe_verify_case *c, const char *name)
{
    const int i = slot(c, c->c->op->out, c->c->out, name, true, "output");
    return i < 0 ? NULL : guarded_new(&c->out[i], c->c->out[i].count, true);
}

double *smoe_verify_gradient(smoe_verify_case *c, const char *input)
{
    const int i = slot(c, c->c->op->in, c->c->grad, input, false, "differentiable input");
    return i < 0 ? NULL : guarded_new(&c->grad[i], c->c->grad[i].count, false);
}

/* --- one case ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const twin_profile *profile;
    smoe_verify_function *function;
    void *context;
    bool forward;
    bool paired; /* pairs of variants were tried once */
    char err[300];
} judge;

/* What was written, as an answer; the name of a tensor whose end was written past, or NULL. */
static const char *collect(smoe_verify_case *v, tensor_file *answer)
{
    const op_case *c = v->c;
    const char *past = NULL;
    for (size_t gradients = 0; gradients < 2; gradients++) {
        const op_tensor *t = gradients ? c->op->in : c->op->out;
        const op_value *shape = gradients ? c->grad : c->out;
        guarded *a = gradients ? v->grad : v->out;
        for (size_t i = 0; t[i].name; i++) {
            char name[80];
            if (!a[i].room) continue;
            snprintf(name, sizeof name, "%s%s", gradients ? "d_" : "", t[i].name);
            if (!guarded_whole(&a[i], shape[i].count)) past = t[i].name;
            tensor_file_add(answer, name, shape[i].i64 ? TENSOR_I64 : TENSOR_F64, shape[i].rank, shape[i].dim,
                            a[i].room + 1);
            free(a[i].room);
        }
    }
    return past;
}

static int judge_answer(judge *j, op_case *c, const char *name, const verdict_golden *g, verdict_case *out)
{
    smoe_verify_case v = {.c = c, .name = name, .precision = j->profile->name};
    tensor_file answer;
    char label[300], fault[200] = "";
    memset(&answer, 0, sizeof answer);
    const int failed = j->function(&v, j->context);
    const char *past = collect(&v, &answer);
    snprintf(label, sizeof label, "%s.%s", c->op->id, name);
    int status = verdict_judge(c, label, g, &answer, j->profile, out, j->err, sizeof j->err);
    if (status == 0 && !out->pass)
        status = verdict_diagnose(c, g, &answer, j->profile, NULL, out, j->err, sizeof j->err);
    if (status == 0 && !out->pass && !out->ranked && !j->paired && !verdict_explained(out)) {
        j->paired = true;
        status = verdict_diagnose_pairs(c, g, &answer, j->profile, out, j->err, sizeof j->err);
    }
    if (failed) snprintf(fault, sizeof fault, "the function returned %d", failed);
    if (past) snprintf(fault, sizeof fault, "the function wrote past an end of '%s'", past);
    if (status == 0 && *fault) verdict_fail(out, fault, NULL);
    tensor_file_clear(&answer);
    return status;
}

static int judge_case(judge *j, op_case *c, const char *name, verdict_case *out)
{
    verdict_golden g;
    const smoe_status s = op_run(c);
    if (s != SMOE_OK) {
        snprintf(j->err, sizeof j->err, "%s", smoe_strerror(s));
        return -1;
    }
    if (verdict_golden_run(c, j->profile, &g, j->err, sizeof j->err) != 0) return -1;
    g.forward = j->forward;
    const int status = judge_answer(j, c, name, &g, out);
    verdict_golden_clear(&g);
    return status;
}

/* --- which cases ------------------------------------------------------------------------------------------------- */

/* Is the text of n bytes one of the items between the separators? */
static bool among(const char *list, char separator, const char *text, size_t n)
{
    const char separators[] = {separator, '\0'};
    for (const char *p = list;; p++) {
        const size_t length = strcspn(p, separators);
        if (length == n && strncmp(p, text, n) == 0) return true;
        p += length;
        if (*p == '\0') return false;
    }
}

/* Has parameter i of the case one of the values "A|B"? */
static bool has_value(const op_case *c, size_t i, const char *values, size_t n)
{
    char text[128];
    snprintf(text, sizeof text, "%.*s", (int)(n < 127 ? n : 127), values);
    if (c->op->param[i].type == OP_CHOICE) return among(text, '|', c->choice[i], strlen(c->choice[i]));
    for (const char *p = text; *p; p += strcspn(p, "|"), p += *p == '|') {
        const double x = strtod(p, NULL);
        if (!(x < c->number[i]) && !(x > c->number[i])) return true;
    }
    return false;
}

/* "without=mask|ties" and "case=random|equal" are conditions on the flags and on the name of a case. */
static bool is_about(const char *where, const char *what)
{
    const size_t n = strlen(what);
    return strncmp(where, what, n) == 0 && where[n] == '=';
}

/* Is one of the condition's words among "A,B"? */
static bool has_one(const char *where, const char *list)
{
    for (const char *p = where + strcspn(where, "="); *p == '=' || *p == '|'; p += 1 + strcspn(p + 1, "|,"))
        if (among(list, ',', p + 1, strcspn(p + 1, "|,"))) return true;
    return false;
}

/* Does the case meet "k=2,order=topk-softmax|softmax-topk"? */
static bool meets(const op_case *c, const op_spec *s, const char *where)
{
    const op_param *param = c->op->param;
    for (const char *p = where; *p; p += strcspn(p, ","), p += *p == ',') {
        const size_t n = strcspn(p, "=");
        if (is_about(p, "without") && has_one(p, s->flags)) return false;
        if (is_about(p, "case") && !has_one(p, s->name)) return false;
        for (size_t i = 0; param && param[i].name; i++)
            if (strlen(param[i].name) == n && strncmp(param[i].name, p, n) == 0 &&
                !has_value(c, i, p + n + 1, strcspn(p + n + 1, ",")))
                return false;
    }
    return true;
}

/* Every parameter has its default, and there is no padding mask. */
static bool is_default(const op_case *c, const op_spec *s)
{
    const op_param *param = c->op->param;
    for (size_t i = 0; param && param[i].name; i++)
        if (!has_value(c, i, param[i].values, strcspn(param[i].values, "|"))) return false;
    return !among(s->flags, ',', "mask", 4);
}

static int usage(const char *what, const char *value, const char *expected)
{
    fprintf(stderr, "smoe_verify: %s '%s': expected %s\n", what, value, expected);
    return SMOE_VERIFY_USAGE;
}

/* Is the word one of a case's flags, or else a case's name? */
static bool any_case(const op_record *op, bool flags, const char *word, size_t n)
{
    for (const op_spec *s = op->cases; s->name; s++)
        if (n > 0 && among(flags ? s->flags : s->name, ',', word, n)) return true;
    return false;
}

/* Does each condition name a parameter, and each choice one that it has?  Or flags or names that some case has? */
static int check_where(const op_record *op, const char *where)
{
    for (const char *p = where; *p; p += strcspn(p, ","), p += *p == ',') {
        const size_t n = strcspn(p, "=,");
        const bool without = is_about(p, "without");
        if (without || is_about(p, "case")) {
            for (const char *v = p + n; *v == '=' || *v == '|'; v += 1 + strcspn(v + 1, "|,"))
                if (!any_case(op, without, v + 1, strcspn(v + 1, "|,")))
                    return usage("where", p, "without=FLAG|FLAG or case=NAME|NAME of the operation's cases");
            continue;
        }
        const op_param *param = op->param;
        while (param && param->name && (strlen(param->name) != n || strncmp(param->name, p, n) != 0)) param++;
        if (p[n] != '=' || !param || !param->name) return usage("where", p, "PARAMETER=VALUE|VALUE,...");
        for (const char *v = p + n; *v == '=' || *v == '|'; v += 1 + strcspn(v + 1, "|,"))
            if (param->type == OP_CHOICE && !among(param->values, '|', v + 1, strcspn(v + 1, "|,")))
                return usage("where", p, param->values);
    }
    return 0;
}

static int check_suites(const char *suites)
{
    for (const char *p = suites; *p; p += strcspn(p, ","), p += *p == ',')
        if (!among("smoke,core,adversarial,large", ',', p, strcspn(p, ",")))
            return usage("suite", suites, "one or several of smoke, core, adversarial, large");
    return 0;
}

/* --- all of them ------------------------------------------------------------------------------------------------- */

smoe_verify_options smoe_verify_defaults(void)
{
    return (smoe_verify_options){.precision = "f32", .suite = "core", .seed = 1};
}

static int write_report(const report *r, const char *path)
{
    report_format format = REPORT_TEXT;
    char err[TENSOR_ERROR] = "out of memory";
    size_t n = 0;
    report_format_of(path, &format);
    char *text = report_render(r, format, &n);
    const file_part part = {text, n};
    const int status = text ? whole_file_write(path, 1, &part, err, sizeof err) : -1;
    if (status != 0) fprintf(stderr, "smoe_verify: %s\n", err);
    free(text);
    return status ? SMOE_VERIFY_OUTPUT : SMOE_VERIFY_PASS;
}

/* The verdicts on all cases that are wanted, into r. */
static int judge_all(judge *j, const op_record *op, const smoe_verify_options *o, report *r)
{
    int status = 0;
    for (const op_spec *s = op->cases; s->name && status == 0; s++) {
        if (!op_in_suite(s, o->suite)) continue;
        op_case *c = op_case_from_spec(op, s, o->seed, j->err, sizeof j->err);
        status = c ? 0 : -1;
        if (c && meets(c, s, o->where ? o->where : "") && (!o->defaults || is_default(c, s))) {
            verdict_case *list = realloc(r->c, (r->cases + 1) * sizeof *list);
            if (list) r->c = list;
            snprintf(j->err, sizeof j->err, "out of memory");
            status = list ? judge_case(j, c, s->name, &r->c[r->cases]) : -1;
            r->cases += status == 0;
        }
        op_case_free(c);
        if (status != 0) fprintf(stderr, "smoe_verify: %s.%s: %s\n", op->id, s->name, j->err);
    }
    return status ? SMOE_VERIFY_OUTPUT : 0;
}

int smoe_verify_judge(const char *op_id, smoe_verify_function *function, void *context,
                      const smoe_verify_options *options)
{
    const smoe_verify_options o = options ? *options : smoe_verify_defaults();
    const op_record *op = op_find(op_id);
    const char *what = NULL;
    report_format format;
    judge j = {.profile = twin_profile_find(o.precision ? o.precision : ""), .function = function, .context = context};
    j.forward = o.forward != 0;
    if (smoe_selftest(&what) != SMOE_OK) {
        fprintf(stderr, "smoe_verify: the environment breaks the numerics policy: %s\n", what);
        return SMOE_VERIFY_ENVIRONMENT;
    }
    if (!op) return usage("operation", op_id, "an id that smoeref list shows");
    if (!j.profile) return usage("precision", o.precision ? o.precision : "", "f64, f32, tf32, bf16 or f16");
    if (!o.suite || check_suites(o.suite) != 0 || (o.where && check_where(op, o.where) != 0)) return SMOE_VERIFY_USAGE;
    if (o.report && !report_format_of(o.report, &format))
        return usage("report", o.report, "a name that ends in .txt, .html, .tap, .json or .xml");
    report r = {.version = PACKAGE_VERSION, .suite = o.suite, .seed = o.seed, .seeds = 1, .precision = j.profile};
    int status = judge_all(&j, op, &o, &r);
    if (status == 0 && r.cases == 0) status = usage("suite", o.suite, "one in which the operation has such cases");
    if (status == 0) {
        report_print(stdout, &r, o.quiet != 0, false);
        fflush(stdout);
        status = report_failed(&r) ? SMOE_VERIFY_FAIL : SMOE_VERIFY_PASS;
        if (o.report && write_report(&r, o.report) != 0) status = SMOE_VERIFY_OUTPUT;
    }
    for (size_t i = 0; i < r.cases; i++) verdict_case_clear(&r.c[i]);
    free(r.c);
    return status;
}
