/* The registry, the storage of a case, and the drawing of random inputs (see op.h and spec/operations.md). */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_rng.h>

#include "op.h"

/* --- the registry ------------------------------------------------------------------------------------------------ */

enum { RECORDS = 128 };

static const op_record *table[RECORDS + 1];
const op_record *const *const op_registry = table;

/* The chapters' arrays end where their id is NULL, so the list can only be made by walking them.  It is made before
 * main() runs and never changes: to every caller the registry is a constant. */
__attribute__((constructor)) static void list_the_chapters(void)
{
    const op_record *const chapter[] = {op_numerics,    op_expert,      op_gate,           op_gate_noisy,
                                        op_gate_cosine, op_layer,       op_layer_capacity, op_layer_diagnostics,
                                        op_balance,     op_balance_aux, op_compete,        op_compete_step,
                                        op_similarity,  op_simsmoe,     op_convergence};
    size_t n = 0;
    for (size_t i = 0; i < sizeof chapter / sizeof *chapter; i++)
        for (const op_record *op = chapter[i]; op->id; op++) {
            if (n == RECORDS) {
                fprintf(stderr, "smoeref: the registry holds more than %d operations\n", RECORDS);
                abort();
            }
            table[n++] = op;
        }
}

const op_record *op_find(const char *id)
{
    for (size_t i = 0; op_registry[i]; i++)
        if (strcmp(op_registry[i]->id, id) == 0) return op_registry[i];
    return NULL;
}

bool op_in_list(const char *list, const char *word, size_t n)
{
    for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',')
        if (strcspn(p, ",") == n && strncmp(p, word, n) == 0) return true;
    return false;
}

bool op_in_suite(const op_spec *spec, const char *suites)
{
    for (const char *p = suites; *p; p += strcspn(p, ","), p += *p == ',')
        if (op_in_list(spec->suite, p, strcspn(p, ","))) return true;
    return false;
}

/* --- binding sizes and parameters -------------------------------------------------------------------------------- */

static const size_t largest_dimension = (size_t)1 << 20;
static const size_t most_elements = (size_t)1 << 28; /* over all tensors of a case in memory */
static const size_t most_on_disk = SIZE_MAX >> 20;   /* of one that has shapes only */
static const size_t most_outputs = (size_t)1 << 24;  /* unless the inputs have a sixteenth of it */

__attribute__((format(printf, 3, 4))) static bool fail(char *err, size_t errlen, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(err, errlen, format, ap);
    va_end(ap);
    return false;
}

/* Cuts the next "name=value" off a comma-separated list.  1: one was cut; 0: the end; -1: malformed (err is set). */
static int next_pair(const char **list, char name[64], char value[64], char *err, size_t errlen)
{
    const char *p = *list;
    if (*p == '\0') return 0;
    const size_t item = strcspn(p, ","), n = strcspn(p, "=,");
    if (n == 0 || p[n] != '=' || n >= 64 || item - n - 1 >= 64 || (p[item] == ',' && p[item + 1] == '\0')) {
        fail(err, errlen, "expected NAME=VALUE[,NAME=VALUE...], found '%.80s'", p);
        return -1;
    }
    memcpy(name, p, n);
    name[n] = '\0';
    memcpy(value, p + n + 1, item - n - 1);
    value[item - n - 1] = '\0';
    *list = p + item + (p[item] == ',');
    return 1;
}

static bool parse_whole(const char *text, int32_t *out)
{
    if (*text == '\0' || isspace((unsigned char)*text)) return false;
    char *end;
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    if (*end != '\0' || errno != 0 || value < INT32_MIN || value > INT32_MAX) return false;
    *out = (int32_t)value;
    return true;
}

static bool parse_real(const char *text, double *out)
{
    if (*text == '\0' || isspace((unsigned char)*text)) return false;
    char *end;
    *out = strtod(text, &end);
    return *end == '\0' && isfinite(*out);
}

static bool is_letter_of(const op_tensor *t, char letter)
{
    for (; t->name; t++)
        for (const char *p = t->shape; *p; p++)
            if (*p == letter) return true;
    return false;
}

static const size_t *find_dim(const op_case *c, char letter)
{
    for (size_t i = 0; i < c->dims; i++)
        if (c->dim_name[i] == letter) return &c->dim_size[i];
    return NULL;
}

static bool bind_dim(op_case *c, char letter, int32_t size, char *err, size_t errlen)
{
    if (size < 0 || (size_t)size > largest_dimension)
        return fail(err, errlen, "%s: size %c = %" PRId32 " is outside 0 .. %zu", c->op->id, letter, size,
                    largest_dimension);
    if (find_dim(c, letter)) return fail(err, errlen, "%s: size %c is given twice", c->op->id, letter);
    if (c->dims == OP_DIMS) return fail(err, errlen, "%s: more than %d sizes", c->op->id, OP_DIMS);
    c->dim_name[c->dims] = letter;
    c->dim_size[c->dims++] = (size_t)size;
    return true;
}

static bool bind_dims(op_case *c, const char *dims, char *err, size_t errlen)
{
    char name[64], value[64];
    int more;
    while ((more = next_pair(&dims, name, value, err, errlen)) > 0) {
        int32_t size;
        if (name[1] != '\0' || !isalpha((unsigned char)name[0]) || !is_letter_of(c->op->in, name[0]))
            return fail(err, errlen, "%s has no size '%s' among its inputs", c->op->id, name);
        if (!parse_whole(value, &size))
            return fail(err, errlen, "%s: size %s is '%s', expected a whole number", c->op->id, name, value);
        if (!bind_dim(c, name[0], size, err, errlen)) return false;
    }
    if (more < 0) return false;
    for (const op_tensor *t = c->op->in; t->name; t++)
        for (const char *p = t->shape; *p; p++)
            if (isalpha((unsigned char)*p) && !find_dim(c, *p))
                return fail(err, errlen, "%s: size %c of input %s[%s] is missing", c->op->id, *p, t->name, t->shape);
    return true;
}

static size_t param_count(const op_record *op)
{
    size_t n = 0;
    while (op->param && op->param[n].name) n++;
    return n;
}

static size_t find_param(const op_record *op, const char *name)
{
    size_t n = param_count(op), i = 0;
    while (i < n && strcmp(op->param[i].name, name) != 0) i++;
    return i;
}

/* Is `value` one of "a|b|c"? */
static bool is_choice(const char *values, const char *value)
{
    const size_t len = strlen(value);
    for (const char *p = values; *p;) {
        const size_t n = strcspn(p, "|");
        if (n == len && n > 0 && memcmp(p, value, n) == 0) return true;
        p += n + (p[n] == '|');
    }
    return false;
}

static bool set_param(op_case *c, size_t i, const char *value, char *err, size_t errlen)
{
    const op_param *p = &c->op->param[i];
    int32_t whole;
    switch (p->type) {
    case OP_INT:
        if (!parse_whole(value, &whole))
            return fail(err, errlen, "%s: parameter %s is '%s', expected a whole number", c->op->id, p->name, value);
        c->number[i] = (double)whole;
        return true;
    case OP_REAL:
        if (!parse_real(value, &c->number[i]))
            return fail(err, errlen, "%s: parameter %s is '%s', expected a finite number", c->op->id, p->name, value);
        return true;
    case OP_CHOICE: {
        if (!is_choice(p->values, value))
            return fail(err, errlen, "%s: parameter %s is '%s', expected %s", c->op->id, p->name, value, p->values);
        char *copy = strdup(value);
        if (!copy) return fail(err, errlen, "%s: out of memory", c->op->id);
        free((void *)(uintptr_t)c->choice[i]);
        c->choice[i] = copy;
        return true;
    }
    }
    return false;
}

static bool set_defaults(op_case *c, char *err, size_t errlen)
{
    const size_t n = param_count(c->op);
    if (n > OP_PARAMS) return fail(err, errlen, "%s: more than %d parameters", c->op->id, OP_PARAMS);
    for (size_t i = 0; i < n; i++) {
        char first[64];
        const char *values = c->op->param[i].values;
        snprintf(first, sizeof first, "%.*s", (int)strcspn(values, "|"), values);
        if (!set_param(c, i, first, err, errlen)) return false;
    }
    return true;
}

static bool set_params(op_case *c, const char *set, char *err, size_t errlen)
{
    bool seen[OP_PARAMS] = {false};
    char name[64], value[64];
    int more;
    while ((more = next_pair(&set, name, value, err, errlen)) > 0) {
        const size_t i = find_param(c->op, name), n = param_count(c->op);
        if (i == n) {
            char known[512] = "";
            for (size_t j = 0, at = 0; j < n && at < sizeof known; j++)
                at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", j ? ", " : "", c->op->param[j].name);
            return fail(err, errlen, "%s has no parameter '%s' (it has %s)", c->op->id, name, n ? known : "none");
        }
        if (seen[i]) return fail(err, errlen, "%s: parameter %s is given twice", c->op->id, name);
        seen[i] = true;
        if (!set_param(c, i, value, err, errlen)) return false;
    }
    return more == 0;
}

/* A size that no input has may be a parameter: K is k, C is capacity, N is experts. */
static bool bind_to_param(op_case *c, char letter, const char *param, char *err, size_t errlen)
{
    const size_t i = find_param(c->op, param);
    if (i == param_count(c->op) || find_dim(c, letter)) return true;
    if (c->number[i] < 0) return fail(err, errlen, "%s: parameter %s = %g is negative", c->op->id, param, c->number[i]);
    return bind_dim(c, letter, (int32_t)c->number[i], err, errlen);
}

/* --- storage ----------------------------------------------------------------------------------------------------- */

/* The shape of a tensor: letters are sizes of the case, a number is itself. */
static bool shape_of(const op_case *c, const op_tensor *t, size_t most, op_value *v, char *err, size_t errlen)
{
    v->rank = 0;
    v->count = 1;
    for (const char *p = t->shape; *p; p += *p == ',') {
        const size_t n = strcspn(p, ",");
        size_t size = 0;
        if (n == 1 && isalpha((unsigned char)*p)) {
            const size_t *bound = find_dim(c, *p);
            if (!bound) return fail(err, errlen, "%s: size %c of %s is not bound", c->op->id, *p, t->name);
            size = *bound;
        } else if (isdigit((unsigned char)*p))
            size = (size_t)strtoul(p, NULL, 10);
        else
            return fail(err, errlen, "%s: bad shape '%s' of %s", c->op->id, t->shape, t->name);
        if (v->rank == OP_RANK) return fail(err, errlen, "%s: %s has more than %d axes", c->op->id, t->name, OP_RANK);
        if (size > 0 && v->count > most / size)
            return fail(err, errlen, "%s: %s[%s] would have more than %zu elements", c->op->id, t->name, t->shape,
                        most);
        v->dim[v->rank++] = size;
        v->count *= size;
        p += n;
    }
    return true;
}

static bool shape_list(const op_case *c, const op_tensor *t, size_t most, op_value *v, op_value *d, size_t *total,
                       char *err, size_t errlen)
{
    for (size_t i = 0; t[i].name; i++) {
        if (i == OP_TENSORS) return fail(err, errlen, "%s: more than %d tensors", c->op->id, OP_TENSORS);
        if (!shape_of(c, &t[i], most, &v[i], err, errlen)) return false;
        *total += v[i].count;
        if (t[i].flags & OP_DIFF) {
            d[i] = v[i];
            *total += d[i].count;
        }
        if (*total > most)
            return fail(err, errlen, "%s: more than %zu elements in all tensors", c->op->id, most);
    }
    return true;
}

/* An empty tensor gets one element, so that a pointer is never NULL. */
static bool allocate(op_value *v, bool i64)
{
    const size_t n = v->count ? v->count : 1;
    if (i64)
        v->i64 = calloc(n, sizeof *v->i64);
    else
        v->f64 = calloc(n, sizeof *v->f64);
    return i64 ? v->i64 != NULL : v->f64 != NULL;
}

static bool allocate_list(const op_tensor *t, op_value *v, op_value *d)
{
    for (size_t i = 0; t[i].name; i++) {
        if (!allocate(&v[i], t[i].flags & OP_I64)) return false;
        if ((t[i].flags & OP_DIFF) && !allocate(&d[i], false)) return false;
    }
    return true;
}

static bool build(op_case *c, const char *dims, const char *set, bool storage, char *err, size_t errlen)
{
    const size_t most = storage ? most_elements : most_on_disk;
    size_t total = 0;
    if (!set_defaults(c, err, errlen) || !set_params(c, set, err, errlen) || !bind_dims(c, dims, err, errlen) ||
        !bind_to_param(c, 'K', "k", err, errlen) || !bind_to_param(c, 'C', "capacity", err, errlen) ||
        !bind_to_param(c, 'N', "experts", err, errlen) ||
        !shape_list(c, c->op->in, most, c->in, c->grad, &total, err, errlen))
        return false;
    const size_t given = total;
    if (!shape_list(c, c->op->out, most, c->out, c->cot, &total, err, errlen)) return false;
    /* A parameter may size an output: a small prompt must not ask for the whole memory. */
    if (storage && total - given > most_outputs && (total - given) / 16 > given)
        return fail(err, errlen, "%s: outputs of %zu elements from inputs of %zu", c->op->id, total - given, given);
    /* Before anything is allocated: a check sees sizes and parameters only. */
    const char *wrong = c->op->check ? c->op->check(c) : NULL;
    if (wrong) return fail(err, errlen, "%s: %s", c->op->id, wrong);
    if (!storage) return true;
    if (!allocate_list(c->op->in, c->in, c->grad) || !allocate_list(c->op->out, c->out, c->cot))
        return fail(err, errlen, "%s: out of memory", c->op->id);
    return true;
}

static op_case *new_case(const op_record *op, const char *dims, const char *set, bool storage, char *err, size_t errlen)
{
    op_case *c = calloc(1, sizeof *c);
    if (!c) {
        fail(err, errlen, "%s: out of memory", op->id);
        return NULL;
    }
    c->op = op;
    if (build(c, dims ? dims : "", set ? set : "", storage, err, errlen)) return c;
    op_case_free(c);
    return NULL;
}

op_case *op_case_new(const op_record *op, const char *dims, const char *set, char *err, size_t errlen)
{
    return new_case(op, dims, set, true, err, errlen);
}

op_case *op_case_shapes(const op_record *op, const char *dims, const char *set, char *err, size_t errlen)
{
    return new_case(op, dims, set, false, err, errlen);
}

bool op_size_given(const op_record *op, char letter)
{
    bool given = false;
    for (const op_tensor *t = op->in; t->name; t++) given |= strchr(t->shape, letter) != NULL;
    return given;
}

op_case *op_case_like(const op_case *c, const size_t *size, const double *number, const char *const *choice, char *err,
                      size_t errlen)
{
    char dims[256] = "", set[2048] = "";
    size_t at = 0;
    const op_param *p = c->op->param;
    for (size_t i = 0; i < c->dims && at < sizeof dims; i++)
        if (op_size_given(c->op, c->dim_name[i]))
            at += (size_t)snprintf(dims + at, sizeof dims - at, "%s%c=%zu", at ? "," : "", c->dim_name[i], size[i]);
    bool whole = at < sizeof dims;
    at = 0;
    for (size_t i = 0; p && p[i].name && at < sizeof set; i++)
        at += (size_t)(p[i].type == OP_CHOICE
                           ? snprintf(set + at, sizeof set - at, "%s%s=%s", at ? "," : "", p[i].name, choice[i])
                           : snprintf(set + at, sizeof set - at, "%s%s=%.17g", at ? "," : "", p[i].name, number[i]));
    whole = whole && at < sizeof set;
    if (whole) return op_case_new(c->op, dims, set, err, errlen);
    fail(err, errlen, "%s: sizes and parameters are too long", c->op->id);
    return NULL;
}

void op_case_free(op_case *c)
{
    if (!c) return;
    for (size_t i = 0; i < OP_TENSORS; i++) {
        op_value *const v[] = {&c->in[i], &c->grad[i], &c->out[i], &c->cot[i]};
        for (size_t j = 0; j < 4; j++) {
            free(v[j]->f64);
            free(v[j]->i64);
        }
    }
    for (size_t i = 0; i < OP_PARAMS; i++) free((void *)(uintptr_t)c->choice[i]);
    free(c);
}

smoe_status op_run(op_case *c)
{
    const smoe_status s = c->op->forward(c);
    return s == SMOE_OK && c->op->vjp ? c->op->vjp(c) : s;
}

op_case *op_case_from_spec(const op_record *op, const op_spec *spec, uint64_t seed, char *err, size_t errlen)
{
    char stream[160];
    op_case *c = op_case_new(op, spec->dims, spec->set, err, errlen);
    if (!c) return NULL;
    snprintf(stream, sizeof stream, "%s/%s/cotangents", op->id, spec->name);
    op_rng *r = op_rng_new(seed, stream);
    for (size_t i = 0; op->out[i].name; i++)
        if (op->out[i].flags & OP_DIFF) op_fill_normal(r, 1, c->cot[i].count, c->cot[i].f64);
    op_rng_free(r);
    snprintf(stream, sizeof stream, "%s/%s", op->id, spec->name);
    r = op_rng_new(seed, stream);
    (spec->fill ? spec->fill : op_fill_default)(c, r);
    op_rng_free(r);
    return c;
}

/* --- what records, twins and fillers use ------------------------------------------------------------------------- */

_Noreturn static void no_such(const op_case *c, const char *what, const char *name)
{
    fprintf(stderr, "smoeref: record %s: no %s named '%s'\n", c->op->id, what, name);
    abort();
}

size_t op_dim(const op_case *c, char letter)
{
    const char name[] = {letter, '\0'};
    const size_t *size = find_dim(c, letter);
    if (!size) no_such(c, "size", name);
    return *size;
}

static size_t must_param(const op_case *c, const char *name, bool choice)
{
    const size_t i = find_param(c->op, name);
    if (i == param_count(c->op)) no_such(c, "parameter", name);
    if ((c->op->param[i].type == OP_CHOICE) != choice) no_such(c, choice ? "choice" : "number", name);
    return i;
}

long op_int(const op_case *c, const char *param) { return (long)c->number[must_param(c, param, false)]; }

double op_real(const op_case *c, const char *param) { return c->number[must_param(c, param, false)]; }

bool op_is(const op_case *c, const char *param, const char *choice)
{
    const size_t i = must_param(c, param, true);
    if (!is_choice(c->op->param[i].values, choice)) no_such(c, "choice", choice);
    return strcmp(c->choice[i], choice) == 0;
}

static size_t must_tensor(const op_case *c, const op_tensor *t, const char *what, const char *name)
{
    for (size_t i = 0; t[i].name; i++)
        if (strcmp(t[i].name, name) == 0) return i;
    no_such(c, what, name);
}

static double *must_f64(const op_case *c, const op_value *v, const char *what, const char *name)
{
    /* A check runs before anything is allocated and has no business with values. */
    if (!v->f64) no_such(c, what, name);
    return v->f64;
}

double *op_in(const op_case *c, const char *name)
{
    return must_f64(c, &c->in[must_tensor(c, c->op->in, "input", name)], "float64 input", name);
}

double *op_out(const op_case *c, const char *name)
{
    return must_f64(c, &c->out[must_tensor(c, c->op->out, "output", name)], "float64 output", name);
}

int64_t *op_in_i64(const op_case *c, const char *name)
{
    int64_t *p = c->in[must_tensor(c, c->op->in, "input", name)].i64;
    if (!p) no_such(c, "int64 input", name);
    return p;
}

int64_t *op_out_i64(const op_case *c, const char *name)
{
    int64_t *p = c->out[must_tensor(c, c->op->out, "output", name)].i64;
    if (!p) no_such(c, "int64 output", name);
    return p;
}

double *op_cot(const op_case *c, const char *output)
{
    return must_f64(c, &c->cot[must_tensor(c, c->op->out, "output", output)], "differentiable output", output);
}

double *op_grad(const op_case *c, const char *input)
{
    return must_f64(c, &c->grad[must_tensor(c, c->op->in, "input", input)], "differentiable input", input);
}

/* --- between a case and ref/ ---------------------------------------------------------------------------------- */

void *op_room(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    if (!p) {
        fprintf(stderr, "smoeref: out of memory\n");
        abort();
    }
    return p;
}

size_t *op_read_index(const op_case *c, const char *output, size_t n)
{
    size_t *index = op_room(n, sizeof *index);
    for (size_t a = 0; a < n; a++) index[a] = (size_t)op_out_i64(c, output)[a];
    return index;
}

void op_write_index(const op_case *c, const char *output, size_t n, const size_t *index)
{
    for (size_t a = 0; a < n; a++) op_out_i64(c, output)[a] = (int64_t)index[a];
}

smoe_status op_choose(size_t T, size_t N, size_t K, const double *scores, size_t *index)
{
    double *value = op_room(K, sizeof *value), margin; /* not shown */
    smoe_status status = SMOE_OK;
    for (size_t t = 0; t < T && status == SMOE_OK; t++)
        status = smoe_topk(N, K, scores + t * N, index + t * K, value, &margin);
    free(value);
    return status;
}

/* --- drawing ----------------------------------------------------------------------------------------------------- */

struct op_rng {
    gsl_rng *mt;
    double spare; /* the second normal of a pair */
    bool has_spare;
};

/* FNV-1a, 64 bits, over the seed's eight bytes (lowest first) and the stream's name, folded to 32 by exclusive or. */
static uint32_t stream_seed(uint64_t seed, const char *stream)
{
    uint64_t hash = 0xcbf29ce484222325U;
    for (int i = 0; i < 8; i++) hash = (hash ^ ((seed >> (8 * i)) & 0xff)) * 0x100000001b3U;
    for (; *stream; stream++) hash = (hash ^ (unsigned char)*stream) * 0x100000001b3U;
    return (uint32_t)(hash >> 32) ^ (uint32_t)hash;
}

op_rng *op_rng_new(uint64_t seed, const char *stream)
{
    op_rng *r = calloc(1, sizeof *r);
    if (r) r->mt = gsl_rng_alloc(gsl_rng_mt19937);
    if (!r || !r->mt) {
        fprintf(stderr, "smoeref: out of memory\n");
        abort();
    }
    gsl_rng_set(r->mt, stream_seed(seed, stream));
    return r;
}

void op_rng_free(op_rng *r)
{
    if (!r) return;
    gsl_rng_free(r->mt);
    free(r);
}

double op_uniform(op_rng *r)
{
    const uint64_t high = gsl_rng_get(r->mt) >> 5, low = gsl_rng_get(r->mt) >> 6; /* 27 and 26 bits */
    return (double)(high << 26 | low) * 0x1p-53;
}

/* Marsaglia's polar method: of transcendental functions it needs the logarithm only, and smoe_log and sqrt are
 * correctly rounded, so a seed gives the same bits on any machine. */
double op_normal(op_rng *r)
{
    if (r->has_spare) {
        r->has_spare = false;
        return r->spare;
    }
    double u, v, s;
    do {
        u = 2 * op_uniform(r) - 1;
        v = 2 * op_uniform(r) - 1;
        s = u * u + v * v;
    } while (s >= 1 || s == 0);
    const double scale = sqrt(-2 * smoe_log(s) / s);
    r->spare = v * scale;
    r->has_spare = true;
    return u * scale;
}

uint64_t op_below(op_rng *r, uint64_t n)
{
    if (n == 0) {
        fprintf(stderr, "smoeref: op_below(0): there is no number to draw\n");
        abort();
    }
    /* A multiple of n; draws from it on would favour small numbers. */
    const uint64_t fair = UINT64_MAX - UINT64_MAX % n;
    uint64_t x;
    do {
        const uint64_t high = gsl_rng_get(r->mt);
        x = high << 32 | gsl_rng_get(r->mt);
    } while (x >= fair);
    return x % n;
}

double op_representable(double x)
{
    int e;
    const double m = frexp(x, &e); /* 1/2 <= |m| < 1 */
    if (!isfinite(x)) return isnan(x) ? x : copysign(65280.0, x);
    const double y = ldexp(nearbyint(ldexp(m, 8)), e - 8);
    if (fabs(y) < 0x1p-14) return 0;
    return fabs(y) > 65280.0 ? copysign(65280.0, y) : y; /* 65280 = 255 * 2^8 */
}

void op_fill_normal(op_rng *r, double scale, size_t n, double *x)
{
    for (size_t i = 0; i < n; i++) x[i] = op_representable(scale * op_normal(r));
}

void op_fill_default(op_case *c, op_rng *r)
{
    for (size_t i = 0; c->op->in[i].name; i++) {
        const op_value *v = &c->in[i];
        const char kind = c->op->in[i].name[0];
        double scale = 1;
        if (kind == 'w' && v->rank > 0 && v->dim[v->rank - 1] > 0)
            scale = sqrt(1 / (double)v->dim[v->rank - 1]);
        else if (kind == 'b')
            scale = 0.25;
        if (c->op->in[i].flags & OP_OPTIONAL)
            for (size_t k = 0; k < v->count; k++) v->f64[k] = 1;
        else if (v->f64)
            op_fill_normal(r, scale, v->count, v->f64);
    }
}

/* Levels one or two steps apart, centred, in a random order.  The step is a power of two not below `gap`, so that every
 * value is representable up to N = 256. */
void op_fill_apart(op_rng *r, double gap, size_t T, size_t N, double *s)
{
    double step = 0x1p-14;
    while (step < gap) step *= 2;
    for (size_t t = 0; t < T; t++) {
        double *const row = s + t * N;
        double level = 0;
        for (size_t i = 0; i < N; i++) {
            row[i] = level;
            level += 1 + (double)op_below(r, 2);
        }
        const double middle = N > 0 ? floor(row[N - 1] / 2) : 0;
        for (size_t i = 0; i < N; i++) row[i] = (row[i] - middle) * step;
        for (size_t i = N; i > 1; i--) {
            const size_t j = (size_t)op_below(r, i);
            const double swap = row[i - 1];
            row[i - 1] = row[j];
            row[j] = swap;
        }
    }
}
