/* Does the oracle see the known wrong variants?  For each row of twin_variants and each precision, a wrong candidate's
 * answers are forged (the variant's exact values, rounded to the storage format) for the adversarial cases of its operation,
 * and judged like anybody's answers.
 *
 *   mutants_known [--names] [--suite SUITES] [--seeds N] [--pairs N] INVISIBLE [OP ...]
 *       INVISIBLE: the rows that are allowed to go undetected, see invisible.txt
 *       OP: these operations alone, and no complaint about unused lines of INVISIBLE
 *       --names: every variant is tried on every answer, in bf16 too, and a row says what else would explain it
 *       --suite SUITES: the cases of other suites, "core,adversarial"
 *       --seeds N: the cases drawn by each seed from 1 to N, the smallest first, until some show the variant and it explains
 *       all of these; a row says under how many seeds they did, and it did.  In bf16 an unlisted variant may go undetected where
 *       --power does not promise it, and a listed one is not looked for
 *
 *       --pairs N: in place of single variants, N pairs of each operation, drawn by chance, in f64.  Does the diagnosis say what
 *       explains all cases that show them: the pair, or else what it is equal to on these cases?
 *
 * One process a processor shares the work.  Prints a table: in how many cases a variant is detected, and in f64 and f32
 * whether it explains all of these itself.  The control: the equation itself, forged in the same way, must pass.  Exit status 1 if a variant is undetected without a line in INVISIBLE, or unnamed in f64 or f32, if a line
 * of INVISIBLE is stale, or if the control fails.  In f64 nothing may be invisible. */
#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"

enum { CASES = 256, ERROR = 512, ROWS = TWIN_VARIANTS, WORKERS = 64, PRECISIONS = 3 };

typedef struct {
    const char *suites, *invisible;
    size_t seeds; /* 0: seed 1, and a table */
    size_t pairs; /* 0: single variants */
    bool names; /* all that explain a row, not only whether the variant does */
    char **op; /* terminated by NULL; none is all */
} options;

/* The golden side of one operation's cases in one precision. */
typedef struct {
    const op_record *op;
    const twin_profile *p;
    size_t n;
    op_case *c[CASES];
    verdict_golden g[CASES];
    const char *name[CASES];
    verdict_memory *memory[CASES]; /* of the variants that were tried on the case before */
} bench;

static _Noreturn void die(const char *what, const char *name, const char *err)
{
    fprintf(stderr, "mutants_known: %s (%s): %s\n", what, name, err);
    exit(1);
}

static double rounded(double x, const twin_format *f)
{
    int e;
    if (!isfinite(x) || x == 0 || f->digits >= 53) return x;
    const double m = frexp(x, &e), y = ldexp(nearbyint(ldexp(m, f->digits)), e - f->digits);
    return fabs(y) > f->largest ? copysign(INFINITY, y) : y;
}

static size_t elements(const op_case *c)
{
    size_t n = 0;
    for (size_t i = 0; i < OP_TENSORS; i++) n += c->in[i].count + c->out[i].count;
    return n;
}

/* The smallest cases first: what a variant is not is found out on them, and not tried on the others. */
static void bench_add(bench *b, op_case *c, const char *name)
{
    size_t at = b->n++;
    for (; at > 0 && elements(b->c[at - 1]) > elements(c); at--) {
        b->c[at] = b->c[at - 1];
        b->name[at] = b->name[at - 1];
    }
    b->c[at] = c;
    b->name[at] = name;
}

static void bench_new(bench *b, const op_record *op, const twin_profile *p, const char *suites, uint64_t seed)
{
    char err[ERROR];
    *b = (bench){.op = op, .p = p};
    for (const op_spec *s = op->cases; s->name; s++) {
        if (!op_in_suite(s, suites)) continue;
        if (b->n == CASES) die("too many cases", op->id, s->name);
        op_case *c = op_case_from_spec(op, s, seed, err, sizeof err);
        if (!c) die(op->id, s->name, err);
        bench_add(b, c, s->name);
    }
    for (size_t i = 0; i < b->n; i++) {
        const smoe_status status = op_run(b->c[i]);
        if (status != SMOE_OK) die(op->id, b->name[i], smoe_strerror(status));
        if (verdict_golden_run(b->c[i], p, &b->g[i], err, sizeof err) != 0) die(op->id, b->name[i], err);
        b->memory[i] = verdict_memory_new();
        if (!b->memory[i]) die(op->id, b->name[i], "out of memory");
    }
}

static void bench_free(bench *b)
{
    for (size_t i = 0; i < b->n; i++) {
        verdict_golden_clear(&b->g[i]);
        verdict_memory_free(b->memory[i]);
        op_case_free(b->c[i]);
    }
}

static void add_rounded(tensor_file *f, const char *prefix, const char *name, const op_value *v, const twin_tensor *t,
                        const twin_profile *p)
{
    char full[160];
    double *x = calloc(v->count ? v->count : 1, sizeof *x);
    snprintf(full, sizeof full, "%s%s", prefix, name);
    for (size_t e = 0; x && e < t->count; e++) x[e] = rounded(t->hi[e], &p->storage);
    if (!x || t->count != v->count || tensor_file_add(f, full, TENSOR_F64, v->rank, v->dim, x) != 0)
        die("cannot forge", full, "the twin does not compute it");
    free(x);
}

static void add_integers(tensor_file *f, const char *name, const op_value *v, const twin_tensor *t)
{
    int64_t *x = calloc(v->count ? v->count : 1, sizeof *x);
    for (size_t e = 0; x && e < t->count; e++) x[e] = (int64_t)t->hi[e];
    if (!x || t->count != v->count || tensor_file_add(f, name, TENSOR_I64, v->rank, v->dim, x) != 0)
        die("cannot forge", name, "the twin does not compute it");
    free(x);
}

static void run_twin(const op_case *c, const char *variant, twin_result *r)
{
    char err[ERROR];
    memset(r, 0, sizeof *r);
    if (twin_run(c, NULL, variant, VERDICT_PREC, r, err, sizeof err) != 0)
        die(c->op->id, variant ? variant : "the equation", err);
}

/* A wrong candidate takes its decisions on its own scores.  True if they are not those that the case holds. */
static bool decide(op_case *c, const twin_result *r)
{
    bool other = false;
    for (size_t i = 0; c->op->out[i].name; i++) {
        op_value *o = &c->out[i];
        if (c->op->out[i].kind != OP_DECISION || o->count == 0) continue;
        const size_t K = o->dim[o->rank - 1], rows = o->count / K, N = r->score[i].count / rows;
        for (size_t row = 0; row < rows; row++) {
            int64_t mine[64];
            if (K > 64) die("cannot forge", c->op->id, "more than 64 choices");
            verdict_choose(r->score[i].hi + row * N, N, K, mine);
            other |= memcmp(mine, o->i64 + row * K, K * sizeof *mine) != 0;
            memcpy(o->i64 + row * K, mine, K * sizeof *mine);
        }
    }
    return other;
}

/* A variant's exact values on one case, and the decisions that they go with: the same for every precision. */
typedef struct {
    twin_result r;
    int64_t *decision[OP_TENSORS];
} exact_answer;

static void answer_exactly(op_case *c, const verdict_golden *g, const char *variant, exact_answer *a)
{
    memset(a, 0, sizeof *a);
    for (size_t i = 0; c->op->out[i].name; i++)
        if (c->op->out[i].kind == OP_DECISION)
            memcpy(c->out[i].i64, g->out[i].index, c->out[i].count * sizeof(int64_t));
    run_twin(c, variant, &a->r);
    if (decide(c, &a->r)) {
        twin_result_clear(&a->r);
        run_twin(c, variant, &a->r);
    }
    for (size_t i = 0; c->op->out[i].name; i++) {
        if (c->op->out[i].kind != OP_DECISION) continue;
        a->decision[i] = calloc(c->out[i].count + 1, sizeof *a->decision[i]);
        if (!a->decision[i]) die("cannot forge", c->op->id, "out of memory");
        memcpy(a->decision[i], c->out[i].i64, c->out[i].count * sizeof(int64_t));
    }
}

static void answer_clear(exact_answer *a)
{
    for (size_t i = 0; i < OP_TENSORS; i++) free(a->decision[i]);
    twin_result_clear(&a->r);
}

/* What a candidate that computes this variant exactly, and stores it in the precision's format, would answer. */
static void forge(op_case *c, const exact_answer *a, const twin_profile *p, tensor_file *f)
{
    const twin_result *r = &a->r;
    memset(f, 0, sizeof *f);
    for (size_t i = 0; c->op->out[i].name; i++)
        if (c->op->out[i].kind == OP_DECISION) memcpy(c->out[i].i64, a->decision[i], c->out[i].count * sizeof(int64_t));
    for (size_t i = 0; c->op->out[i].name; i++) {
        const op_value *v = &c->out[i];
        if (c->op->out[i].kind == OP_STAGE) continue;
        if (!v->i64)
            add_rounded(f, "", c->op->out[i].name, v, &r->out[i], p);
        else if (c->op->out[i].kind != OP_DECISION)
            add_integers(f, c->op->out[i].name, v, &r->out[i]);
        else if (tensor_file_add(f, c->op->out[i].name, TENSOR_I64, v->rank, v->dim, v->i64) != 0)
            die("cannot forge", c->op->out[i].name, "out of memory");
    }
    for (size_t i = 0; c->op->in[i].name; i++)
        if (c->op->in[i].flags & OP_DIFF) add_rounded(f, "d_", c->op->in[i].name, &c->grad[i], &r->grad[i], p);
}

/* The verdict on one case of the bench and, if to_name, whether variant w explains it where it is a failure. */
static void judge_case(bench *b, size_t i, size_t w, const exact_answer *exact, bool to_name, verdict_case *v)
{
    bool self[ROWS] = {false};
    tensor_file answer;
    char err[ERROR];
    self[w] = true;
    forge(b->c[i], exact, b->p, &answer);
    if (verdict_judge(b->c[i], b->name[i], &b->g[i], &answer, b->p, v, err, sizeof err) != 0 ||
        (to_name && verdict_diagnose(b->c[i], &b->g[i], &answer, b->p, self, v, err, sizeof err) != 0))
        die(b->op->id, b->name[i], err);
    tensor_file_clear(&answer);
}

/* The verdicts on all cases of the bench and, if to_name, whether variant w explains those that fail. */
static void judge_self(bench *b, size_t w, const exact_answer *exact, bool to_name, report *r)
{
    for (size_t i = 0; i < b->n; i++) judge_case(b, i, w, &exact[i], to_name, &r->c[i]);
    r->cases = b->n;
    r->precision = b->p;
}

/* The verdicts on all cases of the bench, and every variant that explains those that fail. */
static void judge(bench *b, const exact_answer *exact, report *r)
{
    bool alive[ROWS];
    char err[ERROR];
    memset(alive, true, sizeof alive);
    for (size_t i = 0; i < b->n; i++) {
        tensor_file answer;
        verdict_case *v = &r->c[i];
        forge(b->c[i], &exact[i], b->p, &answer);
        if (verdict_judge(b->c[i], b->name[i], &b->g[i], &answer, b->p, v, err, sizeof err) != 0 ||
            verdict_diagnose_again(b->c[i], &b->g[i], &answer, b->p, alive, b->memory[i], v, err, sizeof err) != 0)
            die(b->op->id, b->name[i], err);
        tensor_file_clear(&answer);
        for (size_t w = 0; w < ROWS && twin_variants[w].op && !v->pass; w++) {
            bool matches = false;
            for (size_t k = 0; k < v->matches; k++) matches |= v->match[k].variant == &twin_variants[w];
            alive[w] &= matches;
        }
    }
    r->cases = b->n;
    r->precision = b->p;
}

static void clear(report *r)
{
    for (size_t i = 0; i < r->cases; i++) verdict_case_clear(&r->c[i]);
    r->cases = 0;
}

/* The names of what explains all failing cases: "itself", "itself or X", "X", or "nothing". */
static bool naming(const report *r, const char *self, char *text, size_t len)
{
    report_explanation *e = report_explain(r, 0);
    bool itself = false;
    size_t at = 0;
    for (size_t i = 0; e && i < e->variants; i++) itself |= strcmp(e->variant[i]->name, self) == 0;
    at += (size_t)snprintf(text, len, "%s", itself ? "as itself" : "");
    for (size_t i = 0; e && i < e->variants && at < len; i++)
        if (strcmp(e->variant[i]->name, self) != 0)
            at += (size_t)snprintf(text + at, len - at, "%s%s", at ? ", or as " : "as ", e->variant[i]->name);
    if (at == 0) snprintf(text, len, "no");
    report_explanation_free(e);
    return itself;
}

/* --- the rows that may go undetected ---------------------------------------------------------------------------- */

static struct {
    char name[64], op[64], precision[16];
    bool used;
} invisible[ROWS];
static size_t invisibles;

static void read_invisible(const char *path)
{
    char line[512];
    FILE *f = fopen(path, "r");
    if (!f) die("cannot read", path, "expected lines of CLASS OPERATION PRECISION REASON");
    while (fgets(line, sizeof line, f)) {
        int reason = 0;
        if (line[strspn(line, " \t\n")] == '\0' || line[0] == '#') continue;
        if (invisibles == ROWS) die("too many lines", path, line);
        const int words = sscanf(line, "%63s %63s %15s %n", invisible[invisibles].name, invisible[invisibles].op,
                                 invisible[invisibles].precision, &reason);
        if (words != 3 || reason == 0 || line[reason] == '\0') die("bad line", path, line);
        invisibles++;
    }
    fclose(f);
}

static bool is_invisible(const twin_variant *w, const twin_profile *p)
{
    for (size_t i = 0; i < invisibles; i++)
        if (strcmp(invisible[i].name, w->name) == 0 && strcmp(invisible[i].op, w->op) == 0 &&
            strcmp(invisible[i].precision, p->name) == 0)
            return invisible[i].used = true;
    return false;
}

/* --- the table ---------------------------------------------------------------------------------------------------- */

typedef struct {
    size_t rows, detected, named, allowed, wrong;
} totals;

static void try_variant(bench *b, const twin_variant *w, bool all_names, const exact_answer *exact, report *r,
                        totals *t)
{
    char names[400];
    const bool widest = strcmp(b->p->name, "f64") == 0, must_name = strcmp(b->p->name, "bf16") != 0;
    if (all_names)
        judge(b, exact, r);
    else
        judge_self(b, (size_t)(w - twin_variants), exact, must_name, r);
    const size_t failed = report_failed(r);
    const bool named = naming(r, w->name, names, sizeof names), listed = is_invisible(w, b->p);
    const char *complaint = "";
    t->rows++;
    t->detected += failed > 0;
    t->named += named;
    t->allowed += failed == 0 && listed;
    if (failed == 0 && !listed) complaint = "  <-- UNDETECTED";
    if (failed == 0 && listed && widest) complaint = "  <-- UNDETECTED: nothing may be invisible in f64";
    if (failed > 0 && listed) complaint = "  <-- listed as invisible, but it is seen";
    if (failed > 0 && must_name && !named) complaint = "  <-- UNNAMED";
    t->wrong += *complaint != '\0';
    printf("%-22s %-20s %-5s %4zu of %-4zu %s%s\n", w->name, w->op, b->p->name, failed, b->n,
           failed   ? all_names || must_name ? names : "seen"
           : listed ? "(invisible, listed)"
                    : "-",
           complaint);
    fflush(stdout);
    clear(r);
}

static void try_control(bench *b, const exact_answer *exact, report *r, totals *t)
{
    judge(b, exact, r);
    const size_t failed = report_failed(r);
    if (failed > 0) {
        printf("%-22s %-20s %-5s %4zu of %-4zu <-- the right answer FAILS\n", "(the equation itself)", b->op->id,
               b->p->name, failed, b->n);
        report_print(stdout, r, true, false);
    }
    t->rows++;
    t->wrong += failed > 0;
    clear(r);
}

static bool asked_for(const op_record *op, const options *o)
{
    bool asked = !*o->op;
    for (char **id = o->op; *id; id++) asked |= strcmp(*id, op->id) == 0;
    return asked;
}

typedef struct {
    size_t pairs, unseen, named, as_one, as_other, in_parts, unnamed;
} pair_totals;

/* What the workers share: who takes which operation, and what came of it. */
typedef struct {
    atomic_size_t next;
    struct {
        totals variants, controls;
        pair_totals pairs;
        bool used[ROWS];
    } worker[WORKERS];
    /* With --seeds: in how many of them a variant was detected, named, or neither detected nor promised. */
    struct {
        atomic_size_t detected, named, unpromised;
    } seeds[ROWS][PRECISIONS];
} shared;

/* One variant, or the equation itself (w is NULL), in every precision. */
static void try_in_all(bench *b, const twin_variant *w, const options *o, report *r, totals *t)
{
    static exact_answer exact[CASES];
    for (size_t i = 0; i < b->n; i++) answer_exactly(b->c[i], &b->g[i], w ? w->name : NULL, &exact[i]);
    for (size_t p = 0; p < PRECISIONS; p++)
        if (w)
            try_variant(&b[p], w, o->names, exact, r, t);
        else
            try_control(&b[p], exact, r, t);
    for (size_t i = 0; i < b->n; i++) answer_clear(&exact[i]);
}

static const char *const precisions[PRECISIONS] = {"f64", "f32", "bf16"};

/* --- two at once -------------------------------------------------------------------------------------------------- */

/* The smallest failing case that nothing explains; b->n if there is none. */
static size_t unexplained(const bench *b, const report *r)
{
    for (size_t i = 0; i < b->n; i++)
        if (!r->c[i].pass && !verdict_explained(&r->c[i])) return i;
    return b->n;
}

/* The answer of the bench to its case i, as it was judged. */
static void forge_again(bench *b, size_t i, const exact_answer *exact, tensor_file *answer)
{
    verdict_case again;
    char err[ERROR];
    forge(b->c[i], &exact[i], b->p, answer);
    if (verdict_judge(b->c[i], b->name[i], &b->g[i], answer, b->p, &again, err, sizeof err) != 0)
        die(b->op->id, b->name[i], err);
    verdict_case_clear(&again);
}

/* What diff does with pairs: looks for them on the smallest case that nothing explains, and tries those it found on the others, as
 * long as they explain all. */
static void diagnose_pairs(bench *b, const exact_answer *exact, report *r)
{
    const size_t first = unexplained(b, r);
    bool alive[CASES] = {false};
    tensor_file answer;
    char err[ERROR];
    if (first == b->n) return;
    const verdict_case *v = &r->c[first];
    forge_again(b, first, exact, &answer);
    if (verdict_diagnose_pairs(b->c[first], &b->g[first], &answer, b->p, &r->c[first], err, sizeof err) != 0)
        die(b->op->id, b->name[first], err);
    tensor_file_clear(&answer);
    for (size_t m = 0; m < v->matches && m < CASES; m++) alive[m] = strchr(v->match[m].variant->name, '+') != NULL;
    for (size_t i = 0; i < b->n; i++) {
        if (i == first || r->c[i].pass) continue;
        forge_again(b, i, exact, &answer);
        for (size_t m = 0; m < v->matches && m < CASES; m++) {
            const size_t before = r->c[i].matches;
            if (alive[m] && verdict_diagnose_as(b->c[i], &b->g[i], &answer, b->p, v->match[m].variant, &r->c[i], err,
                                                sizeof err) != 0)
                die(b->op->id, b->name[i], err);
            alive[m] = r->c[i].matches > before;
        }
        tensor_file_clear(&answer);
    }
}

/* Are all failing cases of some part explained? */
static bool all_parts(const report_explanation *e) { return e->parts > 0 && e->part[e->parts - 1].variant; }

static void try_pair(bench *b, const twin_variant *one, const twin_variant *two, report *r, pair_totals *t)
{
    static exact_answer exact[CASES];
    char name[160];
    snprintf(name, sizeof name, "%s+%s", one->name, two->name);
    for (size_t i = 0; i < b->n; i++) answer_exactly(b->c[i], &b->g[i], name, &exact[i]);
    judge(b, exact, r);
    diagnose_pairs(b, exact, r);
    report_explanation *e = report_explain(r, 0);
    bool pair = false, single = false;
    for (size_t i = 0; e && i < e->variants; i++) {
        pair |= strcmp(e->variant[i]->name, name) == 0;
        single |= e->variant[i] == one || e->variant[i] == two;
    }
    t->pairs++;
    if (report_failed(r) == 0)
        t->unseen++;
    else if (pair)
        t->named++;
    else if (single)
        t->as_one++;
    else if (e && (e->variants > 0 || e->factored))
        t->as_other++;
    else if (e && all_parts(e))
        t->in_parts++;
    else {
        t->unnamed++;
        printf("%-20s %s: %zu of %zu cases fail, not explained\n", b->op->id, name, report_failed(r), b->n);
    }
    report_explanation_free(e);
    for (size_t i = 0; i < b->n; i++) answer_clear(&exact[i]);
    clear(r);
}

/* N pairs of the operation's variants, all if there are no more, drawn without an own generator: by steps through them. */
static void try_pairs(const op_record *op, const options *o, report *r, pair_totals *all)
{
    static bench b;
    const twin_variant *w[ROWS];
    size_t n = 0;
    pair_totals t = {0};
    op_rng *rng = op_rng_new(1, "pairs");
    for (size_t i = 0; twin_variants[i].op; i++)
        if (strcmp(twin_variants[i].op, op->id) == 0) w[n++] = &twin_variants[i];
    bench_new(&b, op, twin_profile_find("f64"), r->suite, 1);
    const size_t possible = n * (n - (n > 0)) / 2;
    size_t left = possible, wanted = o->pairs < possible ? o->pairs : possible;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++, left--)
            if (op_below(rng, left) < wanted) { /* each set of that size is as likely as any other */
                wanted--;
                try_pair(&b, w[i], w[j], r, &t);
            }
    op_rng_free(rng);
    bench_free(&b);
    if (t.pairs > 0)
        printf("%-20s pairs %4zu: named %4zu, as one of the two %3zu, as others %3zu, in parts %3zu, unseen %3zu, "
               "unnamed %3zu\n",
               op->id, t.pairs, t.named, t.as_one, t.as_other, t.in_parts, t.unseen, t.unnamed);
    fflush(stdout);
    for (size_t i = 0; i < sizeof t / sizeof(size_t); i++) ((size_t *)all)[i] += ((size_t *)&t)[i];
}

/* --- many seeds: is it detected, and does itself explain the cases that show it? ---------------------------------- */

/* Does --power promise that some case of the bench shows this variant? */
static bool promised(bench *b, size_t w)
{
    bool exposed[ROWS];
    char err[ERROR];
    memset(exposed, true, sizeof exposed);
    exposed[w] = false;
    for (size_t i = 0; i < b->n && !exposed[w]; i++)
        if (verdict_power(b->c[i], &b->g[i], b->p, exposed, err, sizeof err) != 0) die(b->op->id, b->name[i], err);
    return exposed[w];
}

/* One variant in one precision under one seed. */
typedef struct {
    bool narrow, listed, looking, detected, named;
} seen;

/* Case by case until some show the variant and, in f64 and f32, it explains these.  One that bf16 may hide by the list is
 * not looked for. */
static void look(bench *b, size_t w, report *r, seen s[PRECISIONS])
{
    static verdict_case verdicts[PRECISIONS][CASES];
    report mine[PRECISIONS];
    exact_answer exact;
    char names[400];
    for (size_t p = 0; p < PRECISIONS; p++) {
        mine[p] = *r;
        mine[p].c = verdicts[p];
        mine[p].precision = b[p].p;
    }
    for (size_t i = 0; i < b->n && (s[0].looking || s[1].looking || s[2].looking); i++) {
        answer_exactly(b->c[i], &b->g[i], twin_variants[w].name, &exact);
        for (size_t p = 0; p < PRECISIONS; p++) {
            if (!s[p].looking) continue;
            judge_case(&b[p], i, w, &exact, !s[p].narrow, &mine[p].c[mine[p].cases++]);
            s[p].detected = report_failed(&mine[p]) > 0;
            s[p].named = s[p].detected && naming(&mine[p], twin_variants[w].name, names, sizeof names);
            s[p].looking = s[p].narrow ? !s[p].detected : !s[p].named;
        }
        answer_clear(&exact);
    }
    for (size_t p = 0; p < PRECISIONS; p++) clear(&mine[p]);
}

static void try_seed(shared *all, bench *b, size_t w, report *r, totals *t)
{
    seen s[PRECISIONS];
    for (size_t p = 0; p < PRECISIONS; p++) {
        const bool narrow = strcmp(b[p].p->name, "bf16") == 0, listed = is_invisible(&twin_variants[w], b[p].p);
        s[p] = (seen){.narrow = narrow, .listed = listed, .looking = !narrow || !listed};
    }
    look(b, w, r, s);
    for (size_t p = 0; p < PRECISIONS; p++) {
        const bool unpromised = !s[p].detected && s[p].narrow && !s[p].listed && !promised(&b[p], w);
        const char *complaint = NULL;
        if (!s[p].detected && !s[p].listed && !unpromised) complaint = "UNDETECTED";
        if (s[p].detected && s[p].listed) complaint = "listed as invisible, but it is seen";
        if (s[p].detected && !s[p].narrow && !s[p].named) complaint = "UNNAMED";
        if (complaint)
            printf("%-22s %-20s %-5s seed %llu  <-- %s\n", twin_variants[w].name, b->op->id, b[p].p->name,
                   (unsigned long long)r->seed, complaint);
        t->rows++;
        t->detected += s[p].detected;
        t->named += s[p].named;
        t->allowed += !s[p].detected && s[p].listed;
        t->wrong += complaint != NULL;
        atomic_fetch_add(&all->seeds[w][p].detected, s[p].detected);
        atomic_fetch_add(&all->seeds[w][p].named, s[p].named);
        atomic_fetch_add(&all->seeds[w][p].unpromised, unpromised);
    }
    fflush(stdout);
}

static void try_operation(shared *all, const op_record *op, uint64_t seed, report *r, totals *variants,
                          totals *controls)
{
    static bench b[PRECISIONS];
    static exact_answer exact[CASES];
    for (size_t p = 0; p < PRECISIONS; p++) bench_new(&b[p], op, twin_profile_find(precisions[p]), r->suite, seed);
    r->seed = seed;
    for (size_t i = 0; i < b->n; i++) answer_exactly(b->c[i], &b->g[i], NULL, &exact[i]);
    for (size_t p = 0; p < PRECISIONS; p++) try_control(&b[p], exact, r, controls);
    for (size_t i = 0; i < b->n; i++) answer_clear(&exact[i]);
    for (size_t w = 0; twin_variants[w].op; w++) {
        if (strcmp(twin_variants[w].op, op->id) == 0) try_seed(all, b, w, r, variants);
    }
    for (size_t p = 0; p < PRECISIONS; p++) bench_free(&b[p]);
}

static void print_seeds(const shared *all, const options *o)
{
    printf(
        "\nof %zu seeds             %-20s  f64: detected, named  f32: detected, named  bf16: detected, not promised\n",
        o->seeds, "operation");
    for (size_t w = 0; twin_variants[w].op; w++) {
        if (!asked_for(op_find(twin_variants[w].op), o)) continue;
        printf("%-22s  %-20s", twin_variants[w].name, twin_variants[w].op);
        for (size_t p = 0; p < PRECISIONS; p++)
            printf("%9zu %11zu ", all->seeds[w][p].detected,
                   p + 1 < PRECISIONS ? all->seeds[w][p].named : all->seeds[w][p].unpromised);
        printf("\n");
    }
}

/* Takes one operation, or with --seeds one operation under one seed, after the other until there is none left; the rows
 * go to stdout. */
static void work(shared *all, size_t self, const options *o)
{
    static verdict_case verdicts[CASES];
    static bench b[PRECISIONS];
    report r = {.version = "", .suite = o->suites, .seed = 1, .seeds = 1, .c = verdicts};
    totals variants = {0}, controls = {0};
    size_t operations = 0;
    while (op_registry[operations]) operations++;
    for (size_t u; (u = atomic_fetch_add(&all->next, 1)) < operations * (o->seeds ? o->seeds : 1);) {
        const op_record *op = op_registry[operations - 1 - u % operations]; /* the longest are among the last */
        if (!asked_for(op, o)) continue;
        if (o->pairs) {
            try_pairs(op, o, &r, &all->worker[self].pairs);
            continue;
        }
        if (o->seeds) {
            try_operation(all, op, 1 + u / operations, &r, &variants, &controls);
            continue;
        }
        for (size_t p = 0; p < PRECISIONS; p++) bench_new(&b[p], op, twin_profile_find(precisions[p]), r.suite, 1);
        try_in_all(b, NULL, o, &r, &controls);
        for (size_t w = 0; twin_variants[w].op; w++)
            if (strcmp(twin_variants[w].op, op->id) == 0) try_in_all(b, &twin_variants[w], o, &r, &variants);
        for (size_t p = 0; p < PRECISIONS; p++) bench_free(&b[p]);
    }
    all->worker[self].variants = variants;
    all->worker[self].controls = controls;
    for (size_t i = 0; i < invisibles; i++) all->worker[self].used[i] = invisible[i].used;
}

static void add(totals *sum, const totals *t)
{
    sum->rows += t->rows;
    sum->detected += t->detected;
    sum->named += t->named;
    sum->allowed += t->allowed;
    sum->wrong += t->wrong;
}

static int report_pairs(const shared *all, size_t workers)
{
    pair_totals t = {0};
    for (size_t i = 0; i < workers; i++)
        for (size_t k = 0; k < sizeof t / sizeof(size_t); k++)
            ((size_t *)&t)[k] += ((const size_t *)&all->worker[i].pairs)[k];
    printf("%zu pairs: %zu unseen, %zu named as the pair, %zu as one of the two, %zu as others, %zu in parts, %zu "
           "unnamed\n",
           t.pairs, t.unseen, t.named, t.as_one, t.as_other, t.in_parts, t.unnamed);
    return 20 * t.unnamed <= t.pairs ? 0 : 1; /* one of twenty */
}

static options read_options(int argc, char **argv)
{
    options o = {.suites = "adversarial"};
    int i = 1;
    for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        if (strcmp(argv[i], "--names") == 0)
            o.names = true;
        else if (strcmp(argv[i], "--suite") == 0)
            o.suites = argv[++i];
        else if (strcmp(argv[i], "--seeds") == 0) {
            o.seeds = (size_t)strtoul(argv[++i], NULL, 10);
            if (o.seeds < 1 || o.seeds > 1000) die("bad argument", argv[i], "expected 1 to 1000 seeds");
        } else if (strcmp(argv[i], "--pairs") == 0) {
            o.pairs = (size_t)strtoul(argv[++i], NULL, 10);
            if (o.pairs < 1 || o.pairs > 100000) die("bad argument", argv[i], "expected 1 to 100000 pairs");
        } else
            die("unknown option", argv[i], "expected --names, --suite, --seeds or --pairs");
    }
    if (i >= argc)
        die("bad arguments", "no INVISIBLE",
            "expected [--names] [--suite SUITES] [--seeds N] [--pairs N] INVISIBLE [OP ...]");
    o.invisible = argv[i];
    o.op = argv + i + 1;
    for (char **id = o.op; *id; id++)
        if (!op_find(*id)) die("bad argument", *id, "there is no such operation");
    return o;
}

int main(int argc, char **argv)
{
    shared *all = mmap(NULL, sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    const size_t workers = processors < 1 ? 1 : processors > WORKERS ? WORKERS : (size_t)processors;
    totals variants = {0}, controls = {0};
    if (all == MAP_FAILED) die("cannot start", "mmap", "no memory to share");
    const options o = read_options(argc, argv);
    read_invisible(o.invisible);
    if (o.seeds == 0 && o.pairs == 0)
        printf("%-22s %-20s %-5s %12s %s\n", "variant", "operation", "prec", "cases fail", "named");
    fflush(stdout);
    for (size_t i = 0; i < workers; i++) {
        const pid_t child = fork();
        if (child < 0) die("cannot start", "fork", strerror(errno));
        if (child == 0) {
            work(all, i, &o);
            exit(0);
        }
    }
    for (size_t i = 0; i < workers; i++) {
        int status;
        if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
            die("cannot finish", "a worker", "it ended early");
    }
    for (size_t i = 0; i < workers; i++) {
        add(&variants, &all->worker[i].variants);
        add(&controls, &all->worker[i].controls);
        for (size_t k = 0; k < invisibles; k++) invisible[k].used |= all->worker[i].used[k];
    }
    if (o.pairs) return report_pairs(all, workers);
    for (size_t i = 0; !*o.op && i < invisibles; i++) {
        if (invisible[i].used) continue;
        printf("%s %s %s: listed as invisible, but there is no such row, or it is listed twice\n", invisible[i].name,
               invisible[i].op, invisible[i].precision);
        variants.wrong++;
    }
    if (o.seeds) print_seeds(all, &o);
    printf("%zu variants and precisions%s: %zu detected, %zu named as themselves, %zu invisible and listed, %zu wrong; "
           "controls: %zu right answers judged, %zu failed\n",
           variants.rows, o.seeds ? " and seeds" : "", variants.detected, variants.named, variants.allowed,
           variants.wrong, controls.rows, controls.wrong);
    return variants.wrong || controls.wrong ? 1 : 0;
}
