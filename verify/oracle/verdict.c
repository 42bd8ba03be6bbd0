/* Judging one case (see verdict.h for the rules, spec/verdicts.md for the reasons). */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verdict.h"
#include "verdict_parts.h"

/* --- text ---------------------------------------------------------------------------------------------------- */

_Noreturn void verdict_out_of_memory(void)
{
    fprintf(stderr, "smoeref: out of memory\n");
    exit(3);
}

void *verdict_allocate(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    if (!p) verdict_out_of_memory();
    return p;
}

FILE *verdict_stream(char **text, size_t *n)
{
    *text = NULL;
    FILE *f = open_memstream(text, n);
    if (!f) verdict_out_of_memory();
    return f;
}

void verdict_stream_end(FILE *f, char **text)
{
    const bool lost = ferror(f) != 0;
    if (fclose(f) != 0 || lost || !*text) verdict_out_of_memory();
}

/* Length of the well-formed UTF-8 sequence of a printable character at s, or 0. */
static size_t printable(const unsigned char *s)
{
    if (s[0] < 0x80) return s[0] == '\n' || s[0] == '\t' || (s[0] >= 0x20 && s[0] != 0x7f);
    if (s[0] < 0xc2 || s[0] > 0xf4) return 0;
    const size_t n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if (n == 2) return s[0] == 0xc2 && s[1] < 0xa0 ? 0 : n; /* C1 controls */
    if (n == 3 && s[0] == 0xe0 && s[1] < 0xa0) return 0; /* overlong */
    if (n == 3 && s[0] == 0xed && s[1] > 0x9f) return 0; /* surrogates */
    if (n == 3 && s[0] == 0xef && s[1] == 0xbf && s[2] > 0xbd) return 0; /* U+FFFE, U+FFFF: not allowed in XML */
    if (n == 4 && ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))) return 0;
    return n;
}

/* Names come out of files that others wrote, and end up in terminals, JSON and XML. */
void verdict_clean(char *text)
{
    for (unsigned char *s = (unsigned char *)text; *s;) {
        const size_t n = printable(s);
        if (n == 0) *s = '?';
        s += n ? n : 1;
    }
}

char *verdict_say(const char *format, ...)
{
    va_list ap;
    char *text;
    va_start(ap, format);
    const int n = vasprintf(&text, format, ap);
    va_end(ap);
    if (n < 0) verdict_out_of_memory();
    verdict_clean(text);
    return text;
}

void verdict_append(char *s, size_t len, size_t *at, const char *format, ...)
{
    va_list ap;
    if (*at >= len) return;
    va_start(ap, format);
    *at += (size_t)vsnprintf(s + *at, len - *at, format, ap);
    va_end(ap);
}

void verdict_detail(verdict_case *v, char *sentence)
{
    char **list = realloc(v->detail, (v->details + 1) * sizeof *list);
    if (!list) verdict_out_of_memory();
    v->detail = list;
    v->detail[v->details++] = sentence;
}

/* "[5,3]"; a scalar is "[]". */
static void shape_text(char *s, size_t len, size_t rank, const size_t *dim)
{
    size_t at = 0;
    verdict_append(s, len, &at, "[");
    for (size_t i = 0; i < rank; i++) verdict_append(s, len, &at, "%s%zu", i ? "," : "", dim[i]);
    verdict_append(s, len, &at, "]");
}

/* --- golden -------------------------------------------------------------------------------------------------- */

double verdict_bound(double hi, double lo, double rad, double golden)
{
    if (hi == golden && lo == 0) return rad;
    const double d = fabs((hi - golden) + lo);
    return nextafter(nextafter(d, INFINITY) + rad, INFINITY);
}

static void golden_tensor_new(golden_tensor *g, size_t count, bool integer)
{
    g->count = count;
    if (integer) {
        g->index = verdict_allocate(count, sizeof *g->index);
        return;
    }
    g->value = verdict_allocate(count, sizeof *g->value);
    g->bound = verdict_allocate(count, sizeof *g->bound);
}

static void golden_tensor_clear(golden_tensor *g)
{
    free(g->value);
    free(g->bound);
    free(g->index);
    memset(g, 0, sizeof *g);
}

void verdict_golden_clear(verdict_golden *g)
{
    for (size_t i = 0; i < OP_TENSORS; i++) {
        golden_tensor_clear(&g->out[i]);
        golden_tensor_clear(&g->grad[i]);
        golden_tensor_clear(&g->score[i]);
    }
}

size_t verdict_experts(const op_case *c)
{
    for (size_t i = 0; i < c->dims; i++)
        if (c->dim_name[i] == 'N') return c->dim_size[i];
    return 0;
}

size_t verdict_row_length(const op_value *v) { return v->dim[v->rank - 1]; }

size_t verdict_rows(const op_value *v)
{
    size_t rows = 1;
    for (size_t i = 0; i + 1 < v->rank; i++) rows *= v->dim[i];
    return rows;
}

static void golden_new(const op_case *c, verdict_golden *g)
{
    memset(g, 0, sizeof *g);
    for (size_t i = 0; c->op->out[i].name; i++) {
        golden_tensor_new(&g->out[i], c->out[i].count, c->out[i].i64);
        if (c->op->out[i].kind == OP_DECISION)
            golden_tensor_new(&g->score[i], verdict_rows(&c->out[i]) * verdict_experts(c), false);
    }
    for (size_t i = 0; c->op->in[i].name; i++)
        if (c->op->in[i].flags & OP_DIFF) golden_tensor_new(&g->grad[i], c->grad[i].count, false);
}

static bool is_margin(const op_tensor *t) { return t->flags & OP_MARGIN; }

static void set_vacuous(golden_tensor *g)
{
    for (size_t e = 0; e < g->count; e++) g->bound[e] = INFINITY;
}

/* Which tensors of a golden still need the twin: by output, by input, by decision. */
typedef struct {
    bool out[OP_TENSORS], grad[OP_TENSORS], score[OP_TENSORS], any;
} wanted;

/* One tensor's bounds about the golden values that are there; for scores (centred) the values too. */
static int bound_tensor(const op_case *c, const char *prefix, const char *name, const twin_tensor *w, bool centred,
                        golden_tensor *g, char *err, size_t errlen)
{
    if (w->count != g->count) {
        snprintf(err, errlen, "%s: the twin computes no %s%s, so it has no bound", c->op->id, prefix, name);
        return -1;
    }
    for (size_t e = 0; e < g->count; e++) {
        if (centred) g->value[e] = w->hi[e];
        g->bound[e] = verdict_bound(w->hi[e], w->lo[e], w->rad[e], g->value[e]);
        if (isnan(g->bound[e])) g->bound[e] = INFINITY;
    }
    return 0;
}

static int bounds_from_twin(const op_case *c, const twin_profile *p, const wanted *want, verdict_golden *g, char *err,
                            size_t errlen)
{
    twin_result r;
    memset(&r, 0, sizeof r);
    if (twin_run(c, p, NULL, VERDICT_PREC, &r, err, errlen) != 0) return -1;
    int bad = 0;
    for (size_t i = 0; i < OP_TENSORS && !bad; i++) {
        if (want->out[i]) bad = bound_tensor(c, "", c->op->out[i].name, &r.out[i], false, &g->out[i], err, errlen);
        if (want->score[i] && !bad)
            bad = bound_tensor(c, "scores of ", c->op->out[i].name, &r.score[i], true, &g->score[i], err, errlen);
        if (want->grad[i] && !bad)
            bad = bound_tensor(c, "d_", c->op->in[i].name, &r.grad[i], false, &g->grad[i], err, errlen);
    }
    twin_result_clear(&r);
    return bad;
}

static void set_golden_decisions(op_case *c, const verdict_golden *g)
{
    for (size_t i = 0; c->op->out[i].name; i++)
        if (c->op->out[i].kind == OP_DECISION)
            memcpy(c->out[i].i64, g->out[i].index, g->out[i].count * sizeof *c->out[i].i64);
}

int verdict_golden_run(op_case *c, const twin_profile *p, verdict_golden *g, char *err, size_t errlen)
{
    wanted want;
    memset(&want, 0, sizeof want);
    golden_new(c, g);
    for (size_t i = 0; c->op->out[i].name; i++) {
        const size_t n = c->out[i].count;
        want.score[i] = c->op->out[i].kind == OP_DECISION;
        want.out[i] = !c->out[i].i64 && !is_margin(&c->op->out[i]);
        if (c->out[i].i64)
            memcpy(g->out[i].index, c->out[i].i64, n * sizeof *c->out[i].i64);
        else
            memcpy(g->out[i].value, c->out[i].f64, n * sizeof *c->out[i].f64);
        if (is_margin(&c->op->out[i])) set_vacuous(&g->out[i]);
    }
    for (size_t i = 0; c->op->in[i].name; i++) {
        want.grad[i] = c->op->in[i].flags & OP_DIFF;
        if (want.grad[i]) memcpy(g->grad[i].value, c->grad[i].f64, c->grad[i].count * sizeof *c->grad[i].f64);
    }
    if (bounds_from_twin(c, p, &want, g, err, errlen) == 0) return 0;
    verdict_golden_clear(g);
    return -1;
}

/* Where an expected file is read from, and where an error goes. */
typedef struct {
    const tensor_file *file;
    const char *label;
    const twin_profile *profile;
    char *err;
    size_t errlen;
} expected_reader;

/* A tensor of the file.  0: copied into `to` (NULL: it is right, and stays where it is); 1: it is not there and `optional`; -1: it is not what it should be. */
static int read_tensor(const expected_reader *r, const char *name, tensor_dtype dtype, size_t rank, const size_t *dim,
                       bool optional, void *to)
{
    char want[VERDICT_TEXT];
    const tensor *t = tensor_file_find(r->file, name);
    if (!t && optional) return 1;
    bool same = t && t->dtype == dtype && t->rank == rank;
    for (size_t i = 0; same && i < rank; i++) same = t->dim[i] == dim[i];
    if (same) {
        if (to) memcpy(to, t->data, t->count * tensor_dtype_size(dtype));
        return 0;
    }
    shape_text(want, sizeof want, rank, dim);
    snprintf(r->err, r->errlen, "%s: tensor '%s' %s %s %s", r->label, name, t ? "is not" : "is missing, expected",
             tensor_dtype_name(dtype), want);
    return -1;
}

int verdict_check_numbers(const char *label, const char *name, size_t first, size_t n, const double *value,
                          const double *bound, char *err, size_t errlen)
{
    size_t good = 0;
    for (size_t i = 0; i < n; i++) good += bound[i] >= 0 && !isnan(value[i]);
    for (size_t i = 0; good < n && i < n; i++)
        if (!(bound[i] >= 0) || isnan(value[i])) {
            snprintf(err, errlen, "%s: '%s': element %zu has a value or bound that is NaN or a negative bound", label,
                     name, first + i);
            return -1;
        }
    return 0;
}

static int check_numbers(const expected_reader *r, const char *name, const golden_tensor *g)
{
    return verdict_check_numbers(r->label, name, 0, g->count, g->value, g->bound, r->err, r->errlen);
}

/* One golden tensor with its bound.  *bounded: the file holds one, or none is needed.  Returns 0 or -1. */
static int read_golden(const expected_reader *r, const op_tensor *t, const char *prefix, const op_value *v,
                       golden_tensor *g, bool *bounded)
{
    char name[VERDICT_NAME], bound[VERDICT_BOUND];
    snprintf(name, sizeof name, "%s%s", prefix, t->name);
    *bounded = true;
    if (g->index) return read_tensor(r, name, TENSOR_I64, v->rank, v->dim, false, g->index);
    if (read_tensor(r, name, TENSOR_F64, v->rank, v->dim, false, g->value) != 0) return -1;
    if (is_margin(t)) {
        set_vacuous(g);
        return 0;
    }
    snprintf(bound, sizeof bound, "bound.%s.%s", r->profile->name, name);
    if (r->profile->apart) {
        *bounded = false;
        return check_numbers(r, name, g); /* the file's bounds are other roundoffs' */
    }
    const int status = read_tensor(r, bound, TENSOR_F64, v->rank, v->dim, true, g->bound);
    *bounded = status == 0;
    return status < 0 ? status : check_numbers(r, name, g);
}

/* The scores of a decision, and their bounds. */
static int read_scores(const expected_reader *r, const op_tensor *t, const op_value *v, size_t N, golden_tensor *g,
                       bool *bounded)
{
    char name[VERDICT_NAME], bound[VERDICT_BOUND];
    const size_t dim[2] = {verdict_rows(v), N};
    *bounded = true;
    if (g->count == 0) return 0; /* no tokens, no scores */
    snprintf(name, sizeof name, "score.%s", t->name);
    snprintf(bound, sizeof bound, "score_bound.%s.%s", r->profile->name, t->name);
    int status = read_tensor(r, name, TENSOR_F64, 2, dim, true, g->value);
    if (status == 0 && !r->profile->apart) status = read_tensor(r, bound, TENSOR_F64, 2, dim, true, g->bound);
    *bounded = status == 0 && !r->profile->apart;
    return status < 0 ? status : check_numbers(r, name, g);
}

/* Is `name` one of an operation's outputs or gradients? */
static bool is_result(const op_record *op, const char *name)
{
    for (const op_tensor *t = op->out; t->name; t++)
        if (strcmp(name, t->name) == 0) return true;
    for (const op_tensor *t = op->in; t->name; t++)
        if ((t->flags & OP_DIFF) && strncmp(name, "d_", 2) == 0 && strcmp(name + 2, t->name) == 0) return true;
    return false;
}

static bool expected_knows(const op_record *op, const char *name)
{
    static const char *const prefix[] = {"", "radius.", "score."}, *const with_precision[] = {"bound.", "score_bound."};
    for (size_t i = 0; i < 3; i++)
        if (strncmp(name, prefix[i], strlen(prefix[i])) == 0 && is_result(op, name + strlen(prefix[i]))) return true;
    for (size_t i = 0; i < 2; i++) {
        const size_t n = strlen(with_precision[i]);
        if (strncmp(name, with_precision[i], n) != 0) continue;
        for (const twin_profile *p = twin_profiles; p->name; p++) {
            const size_t m = strlen(p->name);
            const bool mine = strncmp(name + n, p->name, m) == 0 && name[n + m] == '.';
            if (mine && is_result(op, name + n + m + 1)) return true;
        }
    }
    return false;
}

static int check_known(const expected_reader *r, const op_case *c)
{
    for (size_t i = 0; i < r->file->tensors; i++)
        if (!expected_knows(c->op, r->file->t[i].name)) {
            snprintf(r->err, r->errlen, "%s: unknown tensor '%.100s' for %s", r->label, r->file->t[i].name, c->op->id);
            return -1;
        }
    return 0;
}

/* Is a golden tensor there as it should be, and with what it is judged by?  0: yes; 1: its bound is missing; -1: no. */
static int find_golden(const expected_reader *r, const op_tensor *t, const char *prefix, const op_value *v, size_t N)
{
    char name[VERDICT_NAME], bound[VERDICT_BOUND];
    snprintf(name, sizeof name, "%s%s", prefix, t->name);
    const bool integer = !*prefix && (t->flags & OP_I64);
    if (read_tensor(r, name, integer ? TENSOR_I64 : TENSOR_F64, v->rank, v->dim, false, NULL) != 0) return -1;
    if (!*prefix && t->kind == OP_DECISION && verdict_rows(v) * N > 0) {
        const size_t dim[2] = {verdict_rows(v), N};
        snprintf(name, sizeof name, "score.%s", t->name);
        snprintf(bound, sizeof bound, "score_bound.%s.%s", r->profile->name, t->name);
        const int value = read_tensor(r, name, TENSOR_F64, 2, dim, true, NULL);
        if (value != 0) return value;
        return r->profile->apart ? 1 : read_tensor(r, bound, TENSOR_F64, 2, dim, true, NULL);
    }
    if (integer || is_margin(t)) return 0;
    if (r->profile->apart) return 1; /* the file's bounds are other roundoffs' */
    snprintf(bound, sizeof bound, "bound.%s.%s", r->profile->name, name);
    return read_tensor(r, bound, TENSOR_F64, v->rank, v->dim, true, NULL);
}

int verdict_golden_find(const op_case *c, const tensor_file *expected, const char *label, const twin_profile *p,
                        char *err, size_t errlen)
{
    const expected_reader r = {expected, label, p, err, errlen};
    int missing = check_known(&r, c);
    for (size_t i = 0; c->op->out[i].name && missing >= 0; i++) {
        const int status = find_golden(&r, &c->op->out[i], "", &c->out[i], verdict_experts(c));
        if (status != 0) missing = status;
    }
    for (size_t i = 0; c->op->in[i].name && missing >= 0; i++) {
        if (!(c->op->in[i].flags & OP_DIFF)) continue;
        const int status = find_golden(&r, &c->op->in[i], "d_", &c->grad[i], 0);
        if (status != 0) missing = status;
    }
    return missing;
}

int verdict_check_decision(const char *label, const char *name, size_t N, size_t K, size_t first, size_t rows,
                           const int64_t *index, char *err, size_t errlen)
{
    for (size_t i = 0; i < rows * K; i++)
        if (index[i] < 0 || (uint64_t)index[i] >= N) {
            snprintf(err, errlen, "%s: '%s': token %zu has expert %" PRId64 ", expected one of the %zu from 0 on",
                     label, name, first + i / K, index[i], N);
            return -1;
        }
    return 0;
}

static int read_all(const expected_reader *r, const op_case *c, verdict_golden *g, wanted *want)
{
    if (check_known(r, c) != 0) return -1;
    for (size_t i = 0; c->op->out[i].name; i++) {
        bool bounded, scored = true;
        if (read_golden(r, &c->op->out[i], "", &c->out[i], &g->out[i], &bounded) != 0) return -1;
        if (c->op->out[i].kind == OP_DECISION &&
            verdict_check_decision(r->label, c->op->out[i].name, verdict_experts(c), verdict_row_length(&c->out[i]), 0,
                                   verdict_rows(&c->out[i]), g->out[i].index, r->err, r->errlen) != 0)
            return -1;
        if (c->op->out[i].kind == OP_DECISION &&
            read_scores(r, &c->op->out[i], &c->out[i], verdict_experts(c), &g->score[i], &scored) != 0)
            return -1;
        want->out[i] = !bounded;
        want->score[i] = !scored;
        want->any |= !bounded || !scored;
    }
    for (size_t i = 0; c->op->in[i].name; i++) {
        bool bounded;
        if (!(c->op->in[i].flags & OP_DIFF)) continue;
        if (read_golden(r, &c->op->in[i], "d_", &c->grad[i], &g->grad[i], &bounded) != 0) return -1;
        want->grad[i] = !bounded;
        want->any |= !bounded;
    }
    return 0;
}

int verdict_golden_read(op_case *c, const tensor_file *expected, const char *label, const twin_profile *p,
                        verdict_golden *g, char *err, size_t errlen)
{
    const expected_reader r = {expected, label, p, err, errlen};
    wanted want;
    memset(&want, 0, sizeof want);
    golden_new(c, g);
    int status = read_all(&r, c, g, &want);
    if (status == 0) {
        set_golden_decisions(c, g);
        if (want.any) status = bounds_from_twin(c, p, &want, g, err, errlen);
    }
    if (status != 0) verdict_golden_clear(g);
    return status;
}

static void take_balls(const twin_tensor *w, golden_tensor *g)
{
    if (!w->rad) return;
    golden_tensor_new(g, w->count, false);
    for (size_t e = 0; e < g->count; e++) {
        g->value[e] = w->hi[e];
        g->bound[e] = verdict_bound(w->hi[e], w->lo[e], w->rad[e], w->hi[e]);
        if (isnan(g->bound[e])) g->bound[e] = INFINITY;
    }
}

/* Integers that are no decision: what the twin says, where its balls are numbers.  Otherwise nothing is known. */
static void take_integers(const twin_tensor *w, golden_tensor *g)
{
    if (!w->rad) return;
    for (size_t e = 0; e < w->count; e++)
        if (w->rad[e] != 0 || w->lo[e] != 0 || fabs(w->hi[e]) > 0x1p53) return;
    golden_tensor_new(g, w->count, true);
    for (size_t e = 0; e < g->count; e++) g->index[e] = (int64_t)w->hi[e];
}

int verdict_replay(const op_case *c, const twin_profile *p, const char *variant, verdict_golden *g, char *err,
                   size_t errlen)
{
    twin_result r;
    memset(&r, 0, sizeof r);
    memset(g, 0, sizeof *g);
    if (twin_run(c, p, variant, VERDICT_PREC, &r, err, errlen) != 0) return -1;
    for (size_t i = 0; i < OP_TENSORS; i++) {
        (c->out[i].i64 ? take_integers : take_balls)(&r.out[i], &g->out[i]);
        take_balls(&r.grad[i], &g->grad[i]);
        take_balls(&r.score[i], &g->score[i]);
    }
    twin_result_clear(&r);
    return 0;
}

/* --- one element --------------------------------------------------------------------------------------------- */

double verdict_ratio(double got, double golden, double bound)
{
    if (isnan(got)) return NAN;
    if (got == golden || isinf(bound)) return 0; /* equal infinities too */
    return fabs(got - golden) / bound; /* bound 0: +inf; golden or got infinite: +inf */
}

/* Where a ratio falls among verdict_tensor.bin. */
static const double bin_upper[VERDICT_BINS - 1] = {0, 0x1p-8, 0x1p-4, 0.25, 0.5, 1, 2, 16};

static size_t bin_of(double ratio)
{
    size_t i = 0;
    while (i < VERDICT_BINS - 1 && !(ratio <= bin_upper[i])) i++;
    return i;
}

/* Half of the bound, the bound, and then twice, sixteen times: what a picture tells apart. */
static unsigned char level_of(double ratio)
{
    static const unsigned char level[VERDICT_BINS] = {0, 0, 0, 1, 1, 2, 3, 4, 5};
    return level[bin_of(ratio)];
}

static void new_heat(verdict_tensor *t)
{
    const size_t rows = t->rank > 1 ? t->dim[0] : 1, cols = rows ? t->count / rows : 0;
    t->heat_rows = rows < VERDICT_HEAT ? rows : VERDICT_HEAT;
    t->heat_cols = cols < VERDICT_HEAT ? cols : VERDICT_HEAT;
    t->heat = t->count ? verdict_allocate(t->heat_rows * t->heat_cols, 1) : NULL;
}

/* Loops over pairs of doubles, which every machine with vectors has, without a branch. */
typedef double pair __attribute__((vector_size(16)));
typedef int64_t pair_mask __attribute__((vector_size(16)));
enum { CHUNK = VERDICT_CHUNK };

static pair load(const double *x)
{
    pair p;
    memcpy(&p, x, sizeof p);
    return p;
}

static void store(double *x, pair p) { memcpy(x, &p, sizeof p); }

static pair choose(pair_mask mask, pair yes, pair no)
{
    return (pair)((mask & (pair_mask)yes) | (~mask & (pair_mask)no));
}

/* Of each two the larger; y where x is NaN. */
static pair larger(pair x, pair y) { return choose(x > y, x, y); }

/* Fills ratio[] as verdict_ratio() would. */
static void chunk_of_ratios(const double *got, const double *golden, const double *bound, double *ratio)
{
    const pair zero = {0, 0}, nan = {NAN, NAN}, most = {DBL_MAX, DBL_MAX};
    const pair_mask magnitude = {INT64_MAX, INT64_MAX};
    for (size_t i = 0; i < CHUNK; i += 2) {
        const pair x = load(got + i), y = load(golden + i), b = load(bound + i);
        const pair r = (pair)((pair_mask)(x - y) & magnitude) / b;
        store(ratio + i, choose(x != x, nan, choose((x == y) | (b > most), zero, r)));
    }
}

/* The same for elements that must be equal bit for bit: 0, or +inf. */
static void chunk_of_bits(const double *got, const double *golden, double *ratio)
{
    const pair zero = {0, 0}, infinity = {INFINITY, INFINITY};
    for (size_t i = 0; i < CHUNK; i += 2)
        store(ratio + i, choose((pair_mask)load(got + i) == (pair_mask)load(golden + i), zero, infinity));
}

/* How many of n are at most `upper`. */
static size_t count_up_to(const double *x, size_t n, double upper)
{
    const pair u = {upper, upper};
    pair_mask a = {0, 0}, b = {0, 0};
    size_t i = 0, total = 0;
    for (; i + 4 <= n; i += 4) {
        a -= load(x + i) <= u;
        b -= load(x + i + 2) <= u;
    }
    for (; i < n; i++) total += x[i] <= upper;
    a += b;
    return total + (size_t)a[0] + (size_t)a[1];
}

/* The largest of n that are not negative; *numbers: how many are no NaN. */
static double largest(const double *x, size_t n, size_t *numbers)
{
    pair a = {0, 0}, b = {0, 0};
    double most = 0;
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        a = larger(load(x + i), a);
        b = larger(load(x + i + 2), b);
    }
    for (; i < n; i++) most = fmax(x[i], most);
    a = larger(a, b);
    for (size_t j = 0; j < 2; j++) most = fmax(a[j], most);
    *numbers = count_up_to(x, n, INFINITY);
    return most;
}

/* Element by cell: all of a row that fall into the same one have the level of the worst of them. */
static void note_heat(verdict_tensor *t, size_t first, size_t n, const double *ratio)
{
    const size_t rows = t->rank > 1 ? t->dim[0] : 1, cols = t->count / rows, across = t->heat_cols;
    for (size_t i = 0, run; i < n; i += run) {
        const size_t row = (first + i) / cols, col = (first + i) % cols, x = col * across / cols;
        const size_t next = ((x + 1) * cols + across - 1) / across; /* the first column of the next cell */
        size_t numbers;
        run = next - col < n - i ? next - col : n - i;
        const double most = largest(ratio + i, run, &numbers);
        const unsigned char level = level_of(numbers == run ? most : NAN);
        unsigned char *cell = &t->heat[row * t->heat_rows / rows * across + x];
        if (level > *cell) *cell = level;
    }
}

/* The bins of n ratios of which the largest is `most`: those beyond it need not be counted. */
static void note_bins(verdict_tally *t, const double *ratio, size_t n, double most, size_t numbers)
{
    size_t before = 0;
    for (size_t b = 0; b < VERDICT_BINS - 1 && before < numbers; b++) {
        const size_t up_to = most <= bin_upper[b] ? numbers : count_up_to(ratio, n, bin_upper[b]);
        t->bin[b] += up_to - before;
        before = up_to;
    }
    t->bin[VERDICT_BINS - 1] += n - before;
}

/* Is element e, with this ratio, worse than the one that is noted?  The first NaN is the worst, then the largest ratio, of
 * equals the first: in whatever order the elements come. */
static bool is_worse(const verdict_tally *t, size_t e, double ratio)
{
    if (!t->any) return true;
    if (isnan(ratio) != isnan(t->ratio)) return isnan(ratio);
    if (ratio > t->ratio) return true;
    if (ratio < t->ratio) return false;
    return e < t->at;
}

/* Elements first .. first+n-1. */
static void note_elements(verdict_tally *t, size_t first, size_t n, const double *ratio, const double *got,
                          const double *golden, const double *bound)
{
    size_t numbers, at = 0;
    const double most = largest(ratio, n, &numbers);
    note_bins(t, ratio, n, most, numbers);
    t->outside = t->bin[6] + t->bin[7] + t->bin[8]; /* those beyond 1 */
    if (n == 0 || (numbers == n && !is_worse(t, first, most))) return;
    if (numbers < n)
        while (!isnan(ratio[at])) at++;
    else
        while (ratio[at] < most) at++;
    if (!is_worse(t, first + at, ratio[at])) return;
    t->any = true;
    t->at = first + at;
    t->ratio = ratio[at];
    t->got = got[at];
    t->golden = golden[at];
    t->bound = bound ? bound[at] : 0;
}

static void pad(double *x, size_t n)
{
    for (; n % CHUNK != 0; n++) x[n] = 0;
}

void verdict_tally_floats(verdict_tally *t, bool exact, size_t first, size_t n, double *got, double *golden,
                          double *bound, double *ratio)
{
    pad(got, n);
    pad(golden, n);
    if (!exact) pad(bound, n);
    for (size_t i = 0; i < n; i += CHUNK)
        if (exact)
            chunk_of_bits(got + i, golden + i, ratio + i);
        else
            chunk_of_ratios(got + i, golden + i, bound + i, ratio + i);
    if (!exact) t->vacuous += n - count_up_to(bound, n, DBL_MAX);
    note_elements(t, first, n, ratio, got, golden, exact ? NULL : bound);
}

void verdict_tally_integers(verdict_tally *t, size_t first, size_t n, const int64_t *got, const int64_t *golden,
                            double *ratio)
{
    for (size_t i = 0; i < n; i++) ratio[i] = got[i] == golden[i] ? 0 : INFINITY;
    const size_t equal = count_up_to(ratio, n, 0);
    size_t at = 0;
    t->bin[0] += equal;
    t->bin[VERDICT_BINS - 1] += n - equal;
    t->outside += n - equal;
    while (equal < n && got[at] == golden[at]) at++;
    if (n == 0 || !is_worse(t, first + at, ratio[at])) return;
    t->any = true;
    t->at = first + at;
    t->ratio = ratio[at];
    t->got = (double)got[at];
    t->golden = (double)golden[at];
    t->bound = 0;
}

void verdict_tally_add(verdict_tensor *t, const verdict_tally *part)
{
    const verdict_tally sum = {.any = t->at < t->count, .at = t->at, .ratio = t->ratio};
    t->outside += part->outside;
    t->vacuous += part->vacuous;
    for (size_t b = 0; b < VERDICT_BINS; b++) t->bin[b] += part->bin[b];
    if (!part->any || !is_worse(&sum, part->at, part->ratio)) return;
    t->at = part->at;
    t->ratio = part->ratio;
    t->got = part->got;
    t->golden = part->golden;
    t->bound = part->bound;
}

void verdict_tally_heat(verdict_tensor *t, size_t first, size_t n, const double *ratio)
{
    if (!t->heat) new_heat(t);
    if (t->heat) note_heat(t, first, n, ratio);
}

/* A piece of a tensor in memory: enough that the loops are long, and little enough to stay in the cache. */
enum { PIECE = 8 * CHUNK };

bool verdict_tally_shows(const verdict_tally *part) { return part->any && !(part->ratio <= 0x1p-4); }

static void add_piece(verdict_tensor *t, const verdict_tally *part, size_t first, size_t n, const double *ratio)
{
    verdict_tally_add(t, part);
    if (verdict_tally_shows(part)) verdict_tally_heat(t, first, n, ratio);
}

static void judge_floats(verdict_tensor *t, const tensor *got, const golden_tensor *g)
{
    double x[PIECE], golden[PIECE], bound[PIECE], ratio[PIECE];
    for (size_t first = 0; first < t->count; first += PIECE) {
        const size_t n = t->count - first < PIECE ? t->count - first : PIECE;
        verdict_tally part = {0};
        tensor_widen(got->dtype, n, (const unsigned char *)got->data + first * tensor_dtype_size(got->dtype), x);
        memcpy(golden, g->value + first, n * sizeof *golden);
        memcpy(bound, g->bound + first, n * sizeof *bound);
        verdict_tally_floats(&part, t->kind == OP_EXACT, first, n, x, golden, bound, ratio);
        add_piece(t, &part, first, n, ratio);
    }
}

static void judge_integers(verdict_tensor *t, const tensor *got, const golden_tensor *g)
{
    const int64_t *x = got->data;
    double ratio[PIECE];
    for (size_t first = 0; first < t->count; first += PIECE) {
        const size_t n = t->count - first < PIECE ? t->count - first : PIECE;
        verdict_tally part = {0};
        verdict_tally_integers(&part, first, n, x + first, g->index + first, ratio);
        add_piece(t, &part, first, n, ratio);
    }
}

/* --- decisions ----------------------------------------------------------------------------------------------- */

static bool is_exact_tie(const golden_tensor *score, size_t i, size_t u)
{
    return score->value[i] == score->value[u] && score->bound[i] == 0 && score->bound[u] == 0;
}

/* May expert i stand before expert u?  Its score is not behind by more than the two bounds together.  Where both
 * scores are known exactly every implementation sees the same tie, and the rule of (N.25) decides: the lower index. */
static bool may_precede(const golden_tensor *score, size_t i, size_t u)
{
    const long double gap = (long double)score->value[i] - score->value[u];
    if (is_exact_tie(score, i, u)) return i < u;
    return gap + score->bound[i] + score->bound[u] >= 0;
}

static bool stands_among(const int64_t *index, size_t n, size_t u)
{
    for (size_t j = 0; j < n; j++)
        if (index[j] == (int64_t)u) return true;
    return false;
}

bool verdict_admissible(const golden_tensor *score, size_t row, size_t N, size_t K, const int64_t *index,
                        int64_t *taken, int64_t *left)
{
    for (size_t j = 0; j < K; j++)
        for (size_t u = 0; u < N; u++) {
            if (stands_among(index, j + 1, u) || may_precede(score, row * N + (size_t)index[j], row * N + u)) continue;
            *taken = index[j];
            *left = (int64_t)u;
            return false;
        }
    return true;
}

/* Would the selection be admissible if exact ties could go either way? */
static bool admissible_but_for_ties(const golden_tensor *score, size_t row, size_t N, size_t K, const int64_t *index)
{
    for (size_t j = 0; j < K; j++)
        for (size_t u = 0; u < N; u++) {
            const size_t a = row * N + (size_t)index[j], b = row * N + u;
            if (stands_among(index, j + 1, u) || is_exact_tie(score, a, b) || may_precede(score, a, b)) continue;
            return false;
        }
    return true;
}

void verdict_choose(const double *score, size_t N, size_t K, int64_t *index)
{
    for (size_t j = 0; j < K; j++) {
        index[j] = -1;
        for (size_t i = 0; i < N; i++)
            if (!stands_among(index, j, i) && (index[j] < 0 || score[i] > score[index[j]])) index[j] = (int64_t)i;
    }
}

bool verdict_ambiguous(const golden_tensor *score, size_t row, size_t N, size_t K, const int64_t *index)
{
    for (size_t j = 0; j < K; j++)
        for (size_t u = 0; u < N; u++) {
            const bool later = !stands_among(index, j + 1, u);
            if (later && may_precede(score, row * N + u, row * N + (size_t)index[j])) return true;
        }
    return false;
}

/* A row must name K different experts below N. */
static bool row_formed(const int64_t *index, size_t K, size_t N)
{
    for (size_t j = 0; j < K; j++) {
        if (index[j] < 0 || (uint64_t)index[j] >= N) return false;
        for (size_t b = 0; b < j; b++)
            if (index[b] == index[j]) return false;
    }
    return true;
}

static void row_text(char *s, size_t len, const int64_t *index, size_t K)
{
    size_t at = 0;
    verdict_append(s, len, &at, "(");
    for (size_t j = 0; j < K; j++) verdict_append(s, len, &at, "%s%" PRId64, j ? " " : "", index[j]);
    verdict_append(s, len, &at, ")");
}

enum { SHOWN = 3 }; /* sentences on the same tensor; the rest is counted */

/* Compares a decision with the golden one and checks its form.  A well-formed one is put into the case. */
static void take_decision(op_case *c, verdict_case *v, verdict_tensor *t, const tensor *got, const golden_tensor *g)
{
    op_value *const o = &c->out[t->slot];
    const size_t K = verdict_row_length(o), N = verdict_experts(c), rows = verdict_rows(o);
    const int64_t *x = got->data;
    size_t malformed = 0, differ = 0;
    char text[160];
    for (size_t row = 0; row < rows; row++) {
        const int64_t *mine = x + row * K;
        if (memcmp(mine, g->index + row * K, K * sizeof *mine) == 0) continue;
        differ++;
        if (row_formed(mine, K, N)) continue;
        if (malformed++ >= SHOWN) continue;
        row_text(text, sizeof text, mine, K);
        verdict_detail(v, verdict_say("%s: token %zu chose %s, expected %zu different experts out of 0..%zu", t->name,
                                      row, text, K, N ? N - 1 : 0));
    }
    v->differ += differ;
    v->inadmissible += malformed;
    t->outside = malformed;
    if (malformed > SHOWN) verdict_detail(v, verdict_say("%s: and %zu more such tokens", t->name, malformed - SHOWN));
    if (malformed == 0) memcpy(o->i64, x, o->count * sizeof *x);
}

static char *say_inadmissible(const verdict_tensor *t, size_t row, const int64_t *mine, const int64_t *golden, size_t K,
                              const golden_tensor *s, size_t at, int64_t taken, int64_t left)
{
    char got[160], want[160];
    bool ordered = false;
    for (size_t j = 0; j < K; j++) ordered |= mine[j] == left;
    row_text(got, sizeof got, mine, K);
    row_text(want, sizeof want, golden, K);
    const size_t a = at + (size_t)taken, b = at + (size_t)left;
    if (is_exact_tie(s, a, b))
        return verdict_say("%s: token %zu chose %s, golden %s: experts %" PRId64 " and %" PRId64
                           " tie exactly (score %.9g), and the lower index wins (N.25)",
                           t->name, row, got, want, left, taken, s->value[a]);
    return verdict_say("%s: token %zu chose %s, golden %s: expert %" PRId64 " (score %.9g +- %.2g) %s expert %" PRId64
                       " (score %.9g +- %.2g); it is behind by %.3g, the bounds excuse %.2g",
                       t->name, row, got, want, taken, s->value[a], s->bound[a],
                       ordered ? "stands before" : "was preferred to", left, s->value[b], s->bound[b],
                       s->value[b] - s->value[a], s->bound[a] + s->bound[b]);
}

/* Two scores far apart are the same number, 0, after a softmax that underflows: no bound on the scores tells that. */
static void say_underflow(verdict_case *v, const verdict_tensor *t, const twin_profile *p, const golden_tensor *s,
                          size_t at, size_t N, int64_t taken, int64_t left)
{
    double most = -INFINITY;
    for (size_t i = 0; i < N; i++) most = fmax(most, s->value[at + i]);
    const double ahead = fmax(s->value[at + (size_t)taken], s->value[at + (size_t)left]);
    if (!isfinite(most) || !(exp(ahead - most) < p->storage.underflow)) return;
    verdict_detail(
        v, verdict_say("%s: a softmax of these scores is 0 in %s for both experts: choose on the scores themselves",
                       t->name, p->name));
}

/* Rows that differ from the golden decision must be admissible for the scores' balls. */
static void judge_decision(const op_case *c, verdict_case *v, verdict_tensor *t, const twin_profile *p,
                           const verdict_golden *g)
{
    const op_value *o = &c->out[t->slot];
    const golden_tensor *score = &g->score[t->slot];
    const size_t K = verdict_row_length(o), N = verdict_experts(c), rows = verdict_rows(o);
    size_t wrong = 0;
    for (size_t row = 0; row < rows; row++) {
        const int64_t *mine = o->i64 + row * K, *golden = g->out[t->slot].index + row * K;
        int64_t taken, left;
        if (memcmp(mine, golden, K * sizeof *mine) == 0) continue;
        if (verdict_admissible(score, row, N, K, mine, &taken, &left)) continue;
        v->ties += admissible_but_for_ties(score, row, N, K, mine);
        if (wrong++ < SHOWN) verdict_detail(v, say_inadmissible(t, row, mine, golden, K, score, row * N, taken, left));
        if (wrong == 1) say_underflow(v, t, p, score, row * N, N, taken, left);
    }
    if (wrong > SHOWN) verdict_detail(v, verdict_say("%s: and %zu more such tokens", t->name, wrong - SHOWN));
    t->outside += wrong;
    v->inadmissible += wrong;
}

static void count_decisions(const op_case *c, verdict_case *v, const verdict_golden *g)
{
    for (size_t i = 0; c->op->out[i].name; i++) {
        if (c->op->out[i].kind != OP_DECISION) continue;
        const size_t K = verdict_row_length(&c->out[i]), rows = verdict_rows(&c->out[i]);
        v->tokens += rows;
        for (size_t row = 0; row < rows; row++)
            v->ambiguous += verdict_ambiguous(&g->score[i], row, verdict_experts(c), K, g->out[i].index + row * K);
    }
}

/* --- the tensors of a case ----------------------------------------------------------------------------------- */

static verdict_tensor *add_tensor(verdict_case *v, char *name)
{
    verdict_tensor *list = realloc(v->t, (v->tensors + 1) * sizeof *list);
    if (!list) verdict_out_of_memory();
    v->t = list;
    verdict_tensor *t = &v->t[v->tensors++];
    memset(t, 0, sizeof *t);
    t->name = name;
    t->slot = OP_TENSORS;
    return t;
}

static void add_known(verdict_case *v, const op_tensor *o, size_t slot, const op_value *shape, bool gradient)
{
    verdict_tensor *t = add_tensor(v, verdict_say("%s%s", gradient ? "d_" : "", o->name));
    t->slot = slot;
    t->kind = gradient ? OP_BOUNDED : o->kind;
    t->gradient = gradient;
    t->owed = gradient || (o->kind != OP_STAGE && !(o->flags & OP_OPTIONAL));
    t->rank = shape->rank;
    memcpy(t->dim, shape->dim, sizeof t->dim);
    t->count = t->at = shape->count;
}

/* Stages, then decisions, then all other outputs, then gradients: the order in which a departure shows first. */
static void list_tensors(const op_case *c, verdict_case *v, bool forward)
{
    for (int turn = 0; turn < 3; turn++)
        for (size_t i = 0; c->op->out[i].name; i++) {
            const op_kind kind = c->op->out[i].kind;
            const int mine = kind == OP_STAGE ? 0 : kind == OP_DECISION ? 1 : 2;
            if (mine == turn) add_known(v, &c->op->out[i], i, &c->out[i], false);
        }
    for (size_t i = 0; c->op->in[i].name && !forward; i++)
        if (c->op->in[i].flags & OP_DIFF) add_known(v, &c->op->in[i], i, &c->grad[i], true);
}

static bool is_gradient(const op_case *c, const char *name)
{
    for (const op_tensor *t = c->op->in; t->name; t++)
        if ((t->flags & OP_DIFF) && strncmp(name, "d_", 2) == 0 && strcmp(name + 2, t->name) == 0) return true;
    return false;
}

/* The precision that such a tensor is stored in; NULL: in none. */
static const char *precision_of(tensor_dtype t)
{
    switch (t) {
    case TENSOR_F64:
        return "f64";
    case TENSOR_F32:
        return "f32";
    case TENSOR_F16:
        return "f16";
    case TENSOR_BF16:
        return "bf16";
    case TENSOR_I64:
        break;
    }
    return NULL;
}

bool verdict_dtype_holds(tensor_dtype t, const twin_profile *p)
{
    const char *mine = precision_of(t);
    return mine && twin_profile_find(mine)->storage.digits >= p->storage.digits;
}

/* NULL if the tensor can be judged, else why not. */
static char *unfit(const verdict_tensor *t, bool integer, const tensor *got, const twin_profile *p)
{
    char want[VERDICT_TEXT], have[VERDICT_TEXT];
    shape_text(want, sizeof want, t->rank, t->dim);
    shape_text(have, sizeof have, got->rank, got->dim);
    bool same = got->rank == t->rank;
    for (size_t i = 0; same && i < t->rank; i++) same = got->dim[i] == t->dim[i];
    if (integer != (got->dtype == TENSOR_I64))
        return verdict_say("'%s' is %s, expected %s %s", t->name, tensor_dtype_name(got->dtype),
                           integer ? "I64" : "a floating-point dtype", want);
    if (!same) return verdict_say("'%s' has shape %s, expected %s", t->name, have, want);
    const twin_profile *mine = twin_profile_of(p, t->name);
    if (!integer && !verdict_dtype_holds(got->dtype, mine))
        return verdict_say("'%s' is %s, which cannot hold the precision %s that was promised (--precision %s judges it "
                           "as what it is)",
                           t->name, tensor_dtype_name(got->dtype), mine->storage.name, precision_of(got->dtype));
    return NULL;
}

static void match_tensors(const op_case *c, verdict_case *v, const tensor_file *answer, const twin_profile *p,
                          bool forward)
{
    const size_t known = v->tensors;
    for (size_t i = 0; i < known; i++) {
        verdict_tensor *t = &v->t[i];
        const tensor *got = tensor_file_find(answer, t->name);
        const bool integer = !t->gradient && (c->op->out[t->slot].flags & OP_I64);
        t->present = got != NULL;
        if (got) {
            t->fault = unfit(t, integer, got, p);
        } else if (t->owed) {
            char want[VERDICT_TEXT];
            shape_text(want, sizeof want, t->rank, t->dim);
            t->fault = verdict_say("'%s' is missing, expected %s %s", t->name, integer ? "I64" : "floats", want);
        }
        /* The distance to the next candidate is shown, never judged: it is no value of the equation. */
        t->judged = got && !t->fault && (t->gradient || !is_margin(&c->op->out[t->slot]));
    }
    for (size_t i = 0; i < answer->tensors; i++) {
        bool found = forward && is_gradient(c, answer->t[i].name);
        for (size_t j = 0; j < known; j++) found |= strcmp(v->t[j].name, answer->t[i].name) == 0;
        if (found) continue;
        verdict_tensor *t = add_tensor(v, verdict_say("%s", answer->t[i].name));
        t->present = true;
        t->fault = verdict_say("'%s' is unknown: %s has no output and no gradient of this name", t->name, c->op->id);
    }
}

/* --- what failed, in sentences ------------------------------------------------------------------------------- */

/* Where the worst element is: "[1,0]", or nothing of a scalar. */
static void place_text(char *s, size_t len, const verdict_tensor *t)
{
    size_t index[OP_RANK], e = t->at;
    for (size_t i = t->rank; i-- > 0;) {
        index[i] = e % t->dim[i];
        e /= t->dim[i];
    }
    *s = '\0';
    if (t->rank > 0) shape_text(s, len, t->rank, index);
}

enum { VALUES = 8 };

/* Values first .. first+n-1 of an input, out of the case or out of its prompt.  False if they cannot be had. */
static bool input_values(const op_case *c, const tensor_view *prompt, size_t i, size_t first, size_t n,
                         double x[VALUES])
{
    char err[TENSOR_ERROR];
    const size_t t = prompt ? tensor_view_find(prompt, c->op->in[i].name) : 0;
    for (size_t j = 0; j < n; j++) x[j] = prompt ? 1 : c->in[i].f64[first + j]; /* what is not there is all ones */
    if (!prompt || t == prompt->head.tensors) return true;
    return tensor_view_doubles(prompt, t, first, n, x, err, sizeof err) == 0;
}

static bool all_one(size_t n, const double *x)
{
    for (size_t i = 0; i < n; i++)
        if (x[i] < 1 || x[i] > 1) return false;
    return true;
}

/* The inputs that share the first axis with the failing element: "r[3,:] = 0.5 -1 2".  An optional one says nothing where it is one. */
static void say_inputs(const op_case *c, verdict_case *v, const verdict_tensor *t, const tensor_view *prompt)
{
    const op_tensor *mine = t->gradient ? &c->op->in[t->slot] : &c->op->out[t->slot];
    if (t->rank == 0) return;
    const size_t row = t->at / (t->count / t->dim[0]);
    for (size_t i = 0; c->op->in[i].name; i++) {
        const op_value *x = &c->in[i];
        if ((c->op->in[i].flags & OP_I64) || c->op->in[i].shape[0] != mine->shape[0]) continue;
        const size_t width = x->count / x->dim[0], n = width < VALUES ? width : VALUES;
        char text[VERDICT_TEXT] = "";
        double value[VALUES];
        size_t at = 0;
        if (!input_values(c, prompt, i, row * width, n, value)) continue;
        if ((c->op->in[i].flags & OP_OPTIONAL) && width <= VALUES && all_one(n, value)) continue;
        for (size_t j = 0; j < n; j++) verdict_append(text, sizeof text, &at, " %.7g", value[j]);
        if (width > 0)
            verdict_detail(v, verdict_say("    input %s[%zu%s] =%s%s", c->op->in[i].name, row,
                                          x->rank > 1 ? ",..." : "", text, width > VALUES ? " ..." : ""));
    }
}

/* What follows a choice that was not answered was judged under the golden one. */
static void say_assumed(verdict_case *v)
{
    for (size_t i = 0; i < v->tensors; i++)
        if (v->t[i].kind == OP_DECISION && !v->t[i].owed && !v->t[i].present && v->t[i].count > 0)
            verdict_detail(
                v, verdict_say("    '%s' was not answered, so the golden choice was assumed, in which exact ties go to "
                               "the lower index; answer it to be judged under yours",
                               v->t[i].name));
}

static void say_failures(const op_case *c, verdict_case *v, const tensor_view *prompt)
{
    for (size_t i = 0; i < v->tensors; i++) {
        const verdict_tensor *t = &v->t[i];
        char where[VERDICT_TEXT];
        if (t->fault) verdict_detail(v, verdict_say("%s", t->fault));
        if (t->pass || t->fault || t->kind == OP_DECISION || t->at >= t->count) continue;
        place_text(where, sizeof where, t);
        if (t->kind == OP_EXACT)
            verdict_detail(v, verdict_say("%s%s = %.17g, expected exactly %.17g (%zu of %zu elements differ)", t->name,
                                          where, t->got, t->golden, t->outside, t->count));
        else
            verdict_detail(v,
                           verdict_say("%s%s = %.9g, %s %.9g, bound %.3g: off by %.3g, %.3g times the bound (%zu of "
                                       "%zu elements fail)",
                                       t->name, where, t->got, v->replayed ? "by its own decision" : "golden",
                                       t->golden, t->bound, fabs(t->got - t->golden), t->ratio, t->outside, t->count));
        if (i == v->worst) say_inputs(c, v, t, prompt);
    }
    say_assumed(v);
}

/* A tensor's place from best to worst; NaN and faults are the worst. */
static double badness(const verdict_tensor *t)
{
    if (t->fault || isnan(t->ratio)) return INFINITY;
    if (!t->judged || (t->kind == OP_DECISION && t->pass)) return -1; /* has no ratio to show */
    return t->pass ? t->ratio : fmax(t->ratio, nextafter(1, 2));
}

static void sum_up(verdict_case *v)
{
    v->pass = !v->fault && v->inadmissible == 0;
    v->worst = v->tensors;
    for (size_t i = 0; i < v->tensors; i++) {
        verdict_tensor *t = &v->t[i];
        t->pass = !t->fault && t->outside == 0;
        v->pass &= t->pass;
        v->vacuous += t->vacuous;
        if (v->worst == v->tensors || badness(t) > badness(&v->t[v->worst])) v->worst = i;
    }
}

/* --- the case ------------------------------------------------------------------------------------------------ */

static char *sizes_text(const op_case *c)
{
    char text[VERDICT_TEXT] = "";
    for (size_t i = 0, at = 0; i < c->dims; i++)
        verdict_append(text, sizeof text, &at, "%s%c=%zu", i ? " " : "", c->dim_name[i], c->dim_size[i]);
    return verdict_say("%s", text);
}

static char *parameters_text(const op_case *c)
{
    char text[VERDICT_TEXT] = "";
    const op_param *p = c->op->param;
    for (size_t i = 0, at = 0; p && p[i].name; i++)
        if (p[i].type == OP_CHOICE)
            verdict_append(text, sizeof text, &at, "%s%s=%s", i ? " " : "", p[i].name, c->choice[i]);
        else
            verdict_append(text, sizeof text, &at, "%s%s=%.17g", i ? " " : "", p[i].name, c->number[i]);
    return verdict_say("%s", text);
}

/* Takes every decision of the answer into the case; true if one is not the golden one and all can be replayed. */
static bool take_decisions(op_case *c, verdict_case *v, const twin_profile *p, const verdict_golden *g,
                           const tensor_file *answer)
{
    for (size_t i = 0; i < v->tensors; i++)
        if (v->t[i].kind == OP_DECISION && v->t[i].judged)
            take_decision(c, v, &v->t[i], tensor_file_find(answer, v->t[i].name), &g->out[v->t[i].slot]);
    if (v->inadmissible > 0) set_golden_decisions(c, g); /* some token named no experts at all: nothing to replay */
    if (v->inadmissible > 0 || v->differ == 0) return false;
    for (size_t i = 0; i < v->tensors; i++)
        if (v->t[i].kind == OP_DECISION && v->t[i].judged) judge_decision(c, v, &v->t[i], p, g);
    return true;
}

/* Everything under the candidate's own decision.  Exact tensors that the twin does not compute stay golden. */
static int replay_case(const op_case *c, verdict_case *v, const verdict_golden *g, const twin_profile *p,
                       verdict_golden *replay, char *err, size_t errlen)
{
    if (verdict_replay(c, p, NULL, replay, err, errlen) != 0) return -1;
    v->replayed = true;
    for (size_t i = 0; i < v->tensors; i++) {
        const verdict_tensor *t = &v->t[i];
        if (!t->judged || t->kind == OP_DECISION) continue;
        golden_tensor *mine = t->gradient ? &replay->grad[t->slot] : &replay->out[t->slot];
        const golden_tensor *golden = t->gradient ? &g->grad[t->slot] : &g->out[t->slot];
        if (mine->count == t->count) continue;
        if (t->kind != OP_EXACT) {
            snprintf(err, errlen, "%s: the twin computes no %s to replay a decision with", c->op->id, t->name);
            return -1;
        }
        golden_tensor_new(mine, t->count, golden->index);
        if (golden->index)
            memcpy(mine->index, golden->index, t->count * sizeof *mine->index);
        else
            memcpy(mine->value, golden->value, t->count * sizeof *mine->value);
    }
    return 0;
}

static void drop_heat(verdict_tensor *t)
{
    if (t->outside > 0) return;
    free(t->heat); /* nothing to look at */
    t->heat = NULL;
}

static void judge_values(const op_case *c, verdict_case *v, const verdict_golden *g, const tensor_file *answer)
{
    for (size_t i = 0; i < v->tensors; i++) {
        verdict_tensor *t = &v->t[i];
        if (!t->judged || t->kind == OP_DECISION) continue;
        const tensor *got = tensor_file_find(answer, t->name);
        if (!t->gradient && c->out[t->slot].i64)
            judge_integers(t, got, &g->out[t->slot]);
        else
            judge_floats(t, got, t->gradient ? &g->grad[t->slot] : &g->out[t->slot]);
    }
}

static bool all_float32(const double *x, size_t n)
{
    size_t i = 0;
    while (i < n && (isnan(x[i]) || (double)(float)x[i] == x[i])) i++;
    return i == n;
}

/* Are the numbers of the answer those of a narrower format than was promised? */
static bool is_narrow(const op_case *c, const verdict_case *v, const verdict_golden *g, const tensor_file *answer)
{
    bool golden_too = true;
    for (size_t i = 0; i < v->tensors; i++) {
        const verdict_tensor *t = &v->t[i];
        if (!t->judged || t->kind == OP_DECISION || (!t->gradient && c->out[t->slot].i64)) continue;
        const tensor *got = tensor_file_find(answer, t->name);
        if (got->dtype != TENSOR_F64 || !all_float32(got->data, t->count)) return false;
        golden_too = golden_too && all_float32((t->gradient ? g->grad : g->out)[t->slot].value, t->count);
    }
    return !golden_too;
}

void verdict_begin(const op_case *c, const char *name, const tensor_file *answer, const twin_profile *p, bool forward,
                   verdict_case *v)
{
    memset(v, 0, sizeof *v);
    v->name = verdict_say("%s", name);
    v->op = c->op;
    v->sizes = sizes_text(c);
    v->parameters = parameters_text(c);
    list_tensors(c, v, forward);
    if (answer)
        match_tensors(c, v, answer, p, forward);
    else
        v->fault = verdict_say("there is no answer");
}

void verdict_end(const op_case *c, const tensor_file *answer, const tensor_view *prompt, verdict_case *v)
{
    for (size_t i = 0; i < v->tensors; i++) drop_heat(&v->t[i]);
    sum_up(v);
    if (answer && !v->pass) say_failures(c, v, prompt);
}

int verdict_judge(op_case *c, const char *name, const verdict_golden *g, const tensor_file *answer,
                  const twin_profile *p, verdict_case *v, char *err, size_t errlen)
{
    verdict_golden replay;
    memset(&replay, 0, sizeof replay);
    set_golden_decisions(c, g);
    verdict_begin(c, name, answer, p, g->forward, v);
    count_decisions(c, v, g);
    int status = 0;
    if (answer) {
        if (take_decisions(c, v, p, g, answer)) status = replay_case(c, v, g, p, &replay, err, errlen);
        if (status == 0) judge_values(c, v, v->replayed ? &replay : g, answer);
    }
    verdict_end(c, answer, NULL, v);
    if (status == 0 && answer && !v->pass && strcmp(p->name, "f64") == 0) v->narrow = is_narrow(c, v, g, answer);
    verdict_golden_clear(&replay);
    if (status != 0) verdict_case_clear(v);
    return status;
}

void verdict_fail(verdict_case *v, const char *fault, const char *output)
{
    free(v->fault);
    free(v->output);
    v->fault = verdict_say("%s", fault);
    v->output = output ? verdict_say("%s", output) : NULL;
    v->pass = false;
}

void verdict_case_clear(verdict_case *v)
{
    for (size_t i = 0; i < v->tensors; i++) {
        free(v->t[i].name);
        free(v->t[i].fault);
        free(v->t[i].heat);
    }
    for (size_t i = 0; i < v->details; i++) free(v->detail[i]);
    free(v->t);
    free(v->detail);
    free(v->match);
    free(v->name);
    free(v->sizes);
    free(v->parameters);
    free(v->fault);
    free(v->output);
    memset(v, 0, sizeof *v);
}
