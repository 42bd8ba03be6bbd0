/* Is a bound ever below the error of a correct implementation?
 *
 *   correct [--seed S] [--part I/N] [--ops PREFIX] [--break rounding|sum|exp|store] [--verbose]
 *
 * Every operation, under several profiles of roundoffs, is computed by implementations that are correct by construction
 * (correct_tape.c): twelve ways of adding up and fusing, with and without a store after each step, with and without subnormal numbers,
 * by both of two formulas where there are two, each result rounded to its format.  They take their decisions on their own scores.  The verdict of
 * `smoeref diff` on each must be a pass.  A failure is printed, and the status is 1.
 *
 * Looseness is the worst ratio of error to bound that any of them reaches, by operation.  --break computes one kind of operation worse
 * than the profile promises, and then there must be failures. */
#include "correct.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "op.h"
#include "verdict.h"

enum { ERROR = 512, PROFILES = 11, CASES = 256 };

static const char *const way_name[WAYS] = {"in order",   "reversed",     "pairwise", "4 a block",
                                           "16 a block", "32 a block",   "strided",  "Kahan",
                                           "fused",      "split K",      "shuffled", "random rounding"};

static const struct {
    const char *text, *storage, *arithmetic;
    double ulp;
    const char *tensors; /* every other tensor has this precision; NULL: none */
} profile_row[PROFILES] = {
    {"f64", "f64", NULL, 4, NULL},
    {"f32", "f32", NULL, 4, NULL},
    {"tf32", "tf32", NULL, 4, NULL},
    {"bf16", "bf16", NULL, 4, NULL},
    {"f16", "f16", NULL, 4, NULL},
    {"bf16, arithmetic bf16", "bf16", "bf16", 4, NULL},
    {"f16, arithmetic f16", "f16", "f16", 4, NULL},
    {"f32, arithmetic f64", "f32", "f64", 4, NULL},
    {"f32, elementary 300 ulp", "f32", NULL, 300, NULL},
    {"f32, every other tensor bf16", "f32", NULL, 4, "bf16"},
    {"bf16, every other tensor f32", "bf16", NULL, 4, "f32"},
};

typedef struct {
    uint64_t seed;
    size_t part, parts;
    const char *ops;
    int fault;
    bool verbose;
    size_t runs, failed, vacuous, left;
} options;

static _Noreturn void die(const char *what, const char *name, const char *err)
{
    fprintf(stderr, "correct: %s (%s): %s\n", what, name, err);
    exit(2);
}

/* A well-mixed number for each combination. */
static uint64_t mixed(uint64_t x)
{
    x += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

/* own: room for the tensors' profiles */
static twin_profile profile_of(size_t row, const op_record *op, twin_profile *own)
{
    twin_profile p = *twin_profile_find(profile_row[row].storage);
    if (profile_row[row].arithmetic) p.arithmetic = twin_profile_find(profile_row[row].arithmetic)->storage;
    p.elementary_ulp = profile_row[row].ulp;
    if (!profile_row[row].tensors) return p;
    size_t n = 0, k = 0;
    for (const op_tensor *list = op->in; list; list = list == op->in ? op->out : NULL)
        for (const op_tensor *t = list; t->name; t++) {
            if ((t->flags & OP_I64) || k++ % 2) continue;
            own[n] = *twin_profile_find(profile_row[row].tensors);
            own[n++].name = t->name;
        }
    own[n].name = NULL;
    p.tensor = own;
    return p;
}

static void add(tensor_file *f, const char *prefix, const char *name, const op_value *v, const twin_tensor *r,
                const twin_profile *p)
{
    char full[160];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    const twin_profile *kept = twin_profile_of(p, full);
    double *x = calloc(v->count ? v->count : 1, sizeof *x);
    for (size_t e = 0; x && e < r->count; e++) x[e] = correct_stored(kept, r->hi[e] + r->lo[e]);
    for (size_t e = 0; x && e < r->count; e++)
        if (isinf(r->rad[e])) x[e] = NAN; /* not a number, and what is beyond the largest of them */
    if (!x || r->count != v->count || tensor_file_add(f, full, TENSOR_F64, v->rank, v->dim, x) != 0)
        die("no answer", full, "the twin does not compute it");
    free(x);
}

static void answer_of(const op_case *c, const twin_result *r, const verdict_golden *g, const twin_profile *p, tensor_file *f)
{
    memset(f, 0, sizeof *f);
    for (size_t i = 0; c->op->out[i].name; i++) {
        const op_tensor *t = &c->op->out[i];
        const op_value *v = &c->out[i];
        if (t->kind == OP_STAGE && (v->i64 || r->out[i].count != v->count || (t->flags & OP_MARGIN))) continue;
        if (!v->i64) {
            add(f, "", t->name, v, &r->out[i], p);
            continue;
        }
        int64_t *x = calloc(v->count + 1, sizeof *x);
        for (size_t e = 0; x && e < v->count; e++)
            x[e] = t->kind == OP_DECISION ? v->i64[e] : r->out[i].count ? (int64_t)r->out[i].hi[e] : g->out[i].index[e];
        if (!x || tensor_file_add(f, t->name, TENSOR_I64, v->rank, v->dim, x) != 0) die("no answer", t->name, "memory");
        free(x);
    }
    for (size_t i = 0; c->op->in[i].name; i++)
        if (c->op->in[i].flags & OP_DIFF) add(f, "d_", c->op->in[i].name, &c->grad[i], &r->grad[i], p);
}

/* Takes its decisions on its own scores; true if they are not those of the case. */
static bool decide(op_case *c, const twin_result *r)
{
    bool other = false;
    for (size_t i = 0; c->op->out[i].name; i++) {
        op_value *o = &c->out[i];
        if (c->op->out[i].kind != OP_DECISION || o->count == 0 || r->score[i].count == 0) continue;
        const size_t K = o->dim[o->rank - 1], rows = o->count / K, N = r->score[i].count / rows;
        for (size_t row = 0; row < rows; row++) {
            int64_t mine[64];
            if (K > 64) die("no answer", c->op->id, "more than 64 choices");
            verdict_choose(r->score[i].hi + row * N, N, K, mine);
            other |= memcmp(mine, o->i64 + row * K, K * sizeof *mine) != 0;
            memcpy(o->i64 + row * K, mine, K * sizeof *mine);
        }
    }
    return other;
}

/* An overflow on the way ends in NaN, which no bound excuses: there the bound must be infinite, and the run does not count. */
static bool left_the_range(const verdict_case *v)
{
    bool nan = false;
    for (size_t i = 0; i < v->tensors; i++) {
        if (v->t[i].pass) continue;
        if (!isnan(v->t[i].got) || !isinf(v->t[i].bound)) return false;
        nan = true;
    }
    return nan && !v->fault && v->inadmissible == 0;
}

static void one_run(options *o, op_case *c, const char *name, const verdict_golden *g, const twin_profile *p, size_t row,
                    int way, double *worst)
{
    char err[ERROR];
    twin_result r;
    tensor_file answer;
    verdict_case v;
    const uint64_t bits = mixed(correct_how.seed);
    correct_how.way = way;
    correct_how.fault = o->fault;
    correct_how.stores = bits & 1;
    correct_how.flushes = bits & 2;
    correct_how.other = bits & 4;
    for (size_t i = 0; c->op->out[i].name; i++)
        if (c->op->out[i].kind == OP_DECISION) memcpy(c->out[i].i64, g->out[i].index, c->out[i].count * sizeof(int64_t));
    for (int again = 0; again < 3; again++) {
        if (correct_twin_run(c, p, NULL, VERDICT_PREC, &r, err, sizeof err) != 0) die(c->op->id, name, err);
        if (again == 2 || !decide(c, &r)) break;
        twin_result_clear(&r);
    }
    answer_of(c, &r, g, p, &answer);
    twin_result_clear(&r);
    if (verdict_judge(c, name, g, &answer, p, &v, err, sizeof err) != 0) die(c->op->id, name, err);
    tensor_file_clear(&answer);
    const bool left = !v.pass && left_the_range(&v);
    o->runs += !left;
    o->left += left;
    o->failed += !v.pass && !left;
    o->vacuous += v.vacuous > 0;
    for (size_t i = 0; i < v.tensors && !left; i++)
        if (v.t[i].judged && v.t[i].kind != OP_DECISION && v.t[i].kind != OP_EXACT && v.t[i].ratio > *worst)
            *worst = v.t[i].ratio;
    if (!v.pass && !left && (o->failed <= 40 || o->verbose)) {
        printf("FAIL %s.%s, %s, %s%s%s%s, seed %" PRIu64 "\n", c->op->id, name, profile_row[row].text, way_name[way],
               correct_how.stores ? ", stored" : "", correct_how.flushes ? ", flushed" : "",
               correct_how.other ? ", second formula" : "", o->seed);
        for (size_t i = 0; i < v.details && i < 3; i++) printf("    %s\n", v.detail[i]);
    }
    verdict_case_clear(&v);
}

/* All ways on one case under one profile.  The case is another one for each profile. */
static void one_profile(options *o, const op_record *op, size_t number, size_t row, double *worst)
{
    char err[ERROR];
    size_t cases = 0;
    const op_spec *list[CASES];
    twin_profile own[2 * OP_TENSORS + 1];
    verdict_golden g;
    for (const op_spec *s = op->cases; s->name && cases < CASES; s++)
        if (!op_in_suite(s, "large")) list[cases++] = s;
    if (cases == 0) die(op->id, "cases", "there is none");
    const op_spec *s = list[(row + o->seed - 1) % cases];
    op_case *c = op_case_from_spec(op, s, o->seed, err, sizeof err);
    if (!c) die(op->id, s->name, err);
    const smoe_status status = op_run(c);
    if (status != SMOE_OK) die(op->id, s->name, smoe_strerror(status));
    const twin_profile p = profile_of(row, op, own);
    if (verdict_golden_run(c, &p, &g, err, sizeof err) != 0) die(op->id, s->name, err);
    for (int way = 0; way < WAYS; way++) {
        correct_how.seed = mixed(mixed(mixed(o->seed) + number) + row) + (uint64_t)way;
        one_run(o, c, s->name, &g, &p, row, way, worst);
    }
    verdict_golden_clear(&g);
    op_case_free(c);
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int usage(void)
{
    fputs("usage: correct [--seed S] [--part I/N] [--ops PREFIX] [--break rounding|sum|exp|store] [--verbose]\n", stderr);
    return 2;
}

static bool read_options(options *o, int argc, char **argv)
{
    static const char *const fault[] = {"none", "rounding", "sum", "exp", "store"};
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--verbose") == 0) {
            o->verbose = true;
            continue;
        }
        if (strcmp(argv[i], "--seed") == 0)
            o->seed = strtoull(next, NULL, 10);
        else if (strcmp(argv[i], "--ops") == 0)
            o->ops = next;
        else if (strcmp(argv[i], "--part") == 0) {
            if (sscanf(next, "%zu/%zu", &o->part, &o->parts) != 2) return false;
        } else if (strcmp(argv[i], "--break") == 0) {
            while (o->fault < 5 && strcmp(fault[o->fault], next) != 0) o->fault++;
            if (o->fault == 0 || o->fault == 5) return false;
        } else
            return false;
        i++;
    }
    return o->seed > 0 && o->part >= 1 && o->part <= o->parts;
}

int main(int argc, char **argv)
{
    options o = {.seed = 1, .part = 1, .parts = 1, .ops = ""};
    static double worst[CASES];
    size_t ops = 0, unit = 0;
    if (!read_options(&o, argc, argv)) return usage();
    for (size_t i = 0; op_registry[i]; i++) {
        double most = 0;
        const size_t before = o.runs;
        if (strncmp(op_registry[i]->id, o.ops, strlen(o.ops)) != 0) continue;
        for (size_t row = 0; row < PROFILES; row++)
            if (unit++ % o.parts == o.part - 1) one_profile(&o, op_registry[i], i, row, &most);
        if (o.runs > before && ops < CASES) worst[ops++] = most;
        if (o.verbose && o.runs > before) printf("%-28s %.3f\n", op_registry[i]->id, most);
    }
    qsort(worst, ops, sizeof *worst, by_size);
    printf("%zu runs of correct implementations: %d ways x %d profiles, %zu operations, seed %" PRIu64 "\n", o.runs, (int)WAYS,
           (int)PROFILES, ops, o.seed);
    printf("%zu with a vacuous bound somewhere; besides, %zu left the range of their format\n", o.vacuous, o.left);
    if (ops)
        printf("looseness, the worst error of an operation over its bound: median %.3f, maximum %.3f\n", worst[ops / 2],
               worst[ops - 1]);
    printf("%zu failed\n", o.failed);
    return o.failed > 0;
}
