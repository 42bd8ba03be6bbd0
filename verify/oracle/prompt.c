/* See prompt.h. */
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "manifest.h"
#include "prompt.h"

/* What is known while a prompt is read. */
typedef struct {
    const char *path;
    const op_record *op;
    tensor_file file;
    bool shapes; /* no values: those of the file stay there */
    char *err;
    size_t errlen;
} reader;

__attribute__((format(printf, 2, 3))) static bool fail(reader *r, const char *format, ...)
{
    char what[TENSOR_ERROR];
    va_list ap;
    va_start(ap, format);
    vsnprintf(what, sizeof what, format, ap);
    va_end(ap);
    for (char *c = what; *c; c++)
        if (iscntrl((unsigned char)*c)) *c = '?'; /* names come from the file: the error stays one line */
    snprintf(r->err, r->errlen, "%s: %s", r->path, what);
    return false;
}

/* --- metadata ---------------------------------------------------------------------------------------------------- */

static bool check_metadata(reader *r)
{
    static const char *const known[] = {"op", "parameters", "case", "format", "smoeref"};
    for (size_t i = 0; i < r->file.entries; i++) {
        bool found = false;
        for (size_t j = 0; j < sizeof known / sizeof *known; j++)
            found = found || strcmp(r->file.entry[i].key, known[j]) == 0;
        if (!found)
            return fail(r, "metadata: unknown key '%.80s', expected op, parameters or case", r->file.entry[i].key);
    }
    const char *id = tensor_file_meta(&r->file, "op");
    if (!id && !r->op) return fail(r, "metadata: no key 'op', expected the id of an operation");
    if (id && r->op && strcmp(id, r->op->id) != 0)
        return fail(r, "metadata: op is '%.80s', expected '%s'", id, r->op->id);
    if (id && !r->op) r->op = op_find(id);
    if (!r->op) return fail(r, "metadata: op is '%.80s', expected an operation (see smoeref list)", id);
    return true;
}

/* True if "name=..." is one of the comma-separated items. */
static bool sets(const char *items, const char *name, size_t len)
{
    for (const char *p = items; *p; p += strcspn(p, ","), p += *p == ',')
        if (strncmp(p, name, len) == 0 && p[len] == '=') return true;
    return false;
}

/* The metadata's parameters with those of `set` in their place.  malloc'd, or NULL with err set. */
static char *merge_parameters(reader *r, const char *set)
{
    char *base = NULL;
    const char *json = tensor_file_meta(&r->file, "parameters");
    if (json && manifest_parameters_to_set(r->path, json, &base, r->err, r->errlen) != 0) return NULL;
    const size_t room = strlen(set) + (base ? strlen(base) : 0) + 2;
    char *merged = malloc(room);
    if (!merged) {
        fail(r, "out of memory");
    } else {
        size_t at = (size_t)snprintf(merged, room, "%s", set);
        for (const char *p = base ? base : ""; *p;) {
            const size_t item = strcspn(p, ",");
            if (!sets(set, p, strcspn(p, "=,")))
                at += (size_t)snprintf(merged + at, room - at, "%s%.*s", at ? "," : "", (int)item, p);
            p += item + (p[item] == ',');
        }
    }
    free(base);
    return merged;
}

/* --- shapes ------------------------------------------------------------------------------------------------------ */

typedef struct {
    char letter;
    size_t size;
    const char *from; /* the input that bound it */
} binding;

static bool wrong_shape(reader *r, const op_tensor *t, const tensor *got, const char *prefix, const binding *b)
{
    char shape[TENSOR_SHAPE], clash[96] = "";
    if (b) snprintf(clash, sizeof clash, " with %c = %zu as in %s", b->letter, b->size, b->from);
    return fail(r, "%s%s: shape %s, expected [%s]%s", prefix, t->name, tensor_shape_text(shape, got->rank, got->dim), t->shape,
                clash);
}

/* Binds the letters of one input's shape, or compares with what others have bound: inputs have at most OP_DIMS letters, as
 * op_case_new() demands of every case. */
static bool bind_shape(reader *r, const op_tensor *t, const tensor *got, binding *b, size_t *n)
{
    size_t axis = 0;
    for (const char *p = t->shape; *p; p += strcspn(p, ","), p += *p == ',', axis++) {
        if (axis == got->rank) return wrong_shape(r, t, got, "", NULL);
        const size_t size = got->dim[axis];
        if (isdigit((unsigned char)*p)) {
            if (size != strtoul(p, NULL, 10)) return wrong_shape(r, t, got, "", NULL);
            continue;
        }
        size_t i = 0;
        while (i < *n && b[i].letter != *p) i++;
        if (i < *n && b[i].size != size) return wrong_shape(r, t, got, "", &b[i]);
        if (i == *n) b[(*n)++] = (binding){*p, size, t->name};
    }
    if (axis < got->rank) return wrong_shape(r, t, got, "", NULL);
    return true;
}

static bool check_dtype(reader *r, const char *prefix, const char *name, bool integer, const tensor *got)
{
    if ((got->dtype == TENSOR_I64) != integer)
        return fail(r, "%s%s: type %s, expected %s", prefix, name, tensor_dtype_name(got->dtype),
                    integer ? "I64" : "F64, F32, BF16 or F16");
    return true;
}

/* The sizes, from the inputs' shapes, as text for op_case_new(). */
static bool bind_inputs(reader *r, char *dims, size_t room)
{
    binding b[OP_DIMS];
    size_t n = 0, at = 0;
    for (const op_tensor *t = r->op->in; t->name; t++) {
        const tensor *got = tensor_file_find(&r->file, t->name);
        if (!got && (t->flags & OP_OPTIONAL)) continue;
        if (!got) return fail(r, "%s: missing, expected an input [%s] of %s", t->name, t->shape, r->op->id);
        if (!check_dtype(r, "", t->name, t->flags & OP_I64, got) || !bind_shape(r, t, got, b, &n)) return false;
    }
    dims[0] = '\0';
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(dims + at, room - at, "%s%c=%zu", i ? "," : "", b[i].letter, b[i].size);
    return true;
}

static const op_tensor *find_tensor(const op_tensor *t, const char *name)
{
    while (t->name && strcmp(t->name, name) != 0) t++;
    return t->name ? t : NULL;
}

/* Cut where there is no room. */
static void append(char *text, size_t room, const char *before, const char *name)
{
    const size_t at = strlen(text);
    snprintf(text + at, room - at, "%s%s", before, name);
}

static bool check_names(reader *r)
{
    for (size_t i = 0; i < r->file.tensors; i++) {
        const char *name = r->file.t[i].name;
        if (find_tensor(r->op->in, name)) continue;
        const op_tensor *out = strncmp(name, "d_", 2) == 0 ? find_tensor(r->op->out, name + 2) : NULL;
        if (out && (out->flags & OP_DIFF)) continue;
        if (out) return fail(r, "%.80s: output %s is not differentiable, expected no cotangent", name, out->name);
        char known[300] = "";
        for (const op_tensor *t = r->op->in; t->name; t++) append(known, sizeof known, " ", t->name);
        for (const op_tensor *t = r->op->out; t->name; t++)
            if (t->flags & OP_DIFF) append(known, sizeof known, " d_", t->name);
        return fail(r, "%.80s: unknown tensor, expected%s", name, known);
    }
    return true;
}

/* --- values ------------------------------------------------------------------------------------------------------ */

static bool copy_values(reader *r, const char *prefix, const op_tensor *t, const tensor *got, op_value *v)
{
    if (!check_dtype(r, prefix, t->name, t->flags & OP_I64, got)) return false;
    bool same = got->rank == v->rank;
    for (size_t i = 0; same && i < v->rank; i++) same = got->dim[i] == v->dim[i];
    if (!same) return wrong_shape(r, t, got, prefix, NULL);
    if (r->shapes) return true;
    if (v->i64) memcpy(v->i64, got->data, v->count * sizeof *v->i64);
    for (size_t i = 0; v->f64 && i < v->count; i++) {
        v->f64[i] = tensor_get(got, i);
        if (isfinite(v->f64[i])) continue;
        return fail(r, "%s%s: element %zu is %s, expected finite numbers", prefix, t->name, i,
                    isnan(v->f64[i]) ? "NaN" : "infinite");
    }
    return true;
}

static bool fill_case(reader *r, op_case *c, size_t *cotangents)
{
    size_t given = 0;
    for (size_t i = 0; c->op->in[i].name; i++) {
        const tensor *got = tensor_file_find(&r->file, c->op->in[i].name);
        for (size_t k = 0; !got && !r->shapes && k < c->in[i].count; k++) c->in[i].f64[k] = 1; /* an optional input */
        if (got && !copy_values(r, "", &c->op->in[i], got, &c->in[i])) return false;
    }
    for (size_t i = 0; c->op->out[i].name; i++) {
        char name[80];
        snprintf(name, sizeof name, "d_%s", c->op->out[i].name);
        const tensor *got = c->op->out[i].flags & OP_DIFF ? tensor_file_find(&r->file, name) : NULL;
        if (!got) continue;
        if (!copy_values(r, "d_", &c->op->out[i], got, &c->cot[i])) return false;
        given++;
    }
    if (cotangents) *cotangents = given;
    return true;
}

static op_case *read_case(reader *r, const char *set, char **name, size_t *cotangents)
{
    char dims[OP_DIMS * 24], why[TENSOR_ERROR];
    if (!check_metadata(r) || !bind_inputs(r, dims, sizeof dims) || !check_names(r)) return NULL;
    char *merged = merge_parameters(r, set ? set : "");
    if (!merged) return NULL;
    op_case *c = (r->shapes ? op_case_shapes : op_case_new)(r->op, dims, merged, why, sizeof why);
    free(merged);
    if (!c) {
        fail(r, "%s", why);
        return NULL;
    }
    const char *label = tensor_file_meta(&r->file, "case");
    if (!fill_case(r, c, cotangents) || (name && label && !(*name = strdup(label)))) {
        op_case_free(c);
        return NULL;
    }
    return c;
}

op_case *op_case_from_prompt(const char *path, const op_record *op, const char *set, char **name, size_t *cotangents,
                             char *err, size_t errlen)
{
    reader r = {.path = path, .op = op, .err = err, .errlen = errlen};
    if (name) *name = NULL;
    if (cotangents) *cotangents = 0;
    snprintf(err, errlen, "%s: out of memory", path);
    if (tensor_file_read(path, &r.file, err, errlen) != 0) return NULL;
    op_case *c = read_case(&r, set, name, cotangents);
    tensor_file_clear(&r.file);
    return c;
}

op_case *op_case_shapes_from_prompt(const char *path, const op_record *op, const tensor_file *head, char *err,
                                    size_t errlen)
{
    reader r = {.path = path, .op = op, .file = *head, .shapes = true, .err = err, .errlen = errlen};
    snprintf(err, errlen, "%s: out of memory", path);
    return read_case(&r, NULL, NULL, NULL);
}

/* --- writing ----------------------------------------------------------------------------------------------------- */

char *op_parameters_json(const op_case *c)
{
    const size_t room = OP_PARAMS * 200 + 3;
    char *json = malloc(room);
    if (!json) return NULL;
    size_t at = (size_t)snprintf(json, room, "{");
    for (size_t i = 0; c->op->param && c->op->param[i].name; i++) {
        const op_param *p = &c->op->param[i];
        char value[80];
        if (p->type == OP_CHOICE)
            snprintf(value, sizeof value, "\"%s\"", c->choice[i]);
        else if (p->type == OP_INT)
            snprintf(value, sizeof value, "%ld", (long)c->number[i]);
        else
            manifest_real_text(value, c->number[i]);
        at += (size_t)snprintf(json + at, room - at, "%s\"%.80s\": %s", i ? ", " : "", p->name, value);
    }
    snprintf(json + at, room - at, "}");
    return json;
}

static int add_value(tensor_file *f, const char *prefix, const char *name, const op_value *v)
{
    char full[80];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    return v->i64 ? tensor_file_add(f, full, TENSOR_I64, v->rank, v->dim, v->i64)
                  : tensor_file_add(f, full, TENSOR_F64, v->rank, v->dim, v->f64);
}

int op_add_prompt(tensor_file *f, const op_case *c, const char *name)
{
    char *json = op_parameters_json(c);
    if (!json) return -1;
    int bad = tensor_file_add_meta(f, "op", c->op->id) | tensor_file_add_meta(f, "parameters", json);
    free(json);
    if (name) bad |= tensor_file_add_meta(f, "case", name);
    for (size_t i = 0; c->op->in[i].name; i++) bad |= add_value(f, "", c->op->in[i].name, &c->in[i]);
    for (size_t i = 0; c->op->out[i].name; i++)
        if (c->op->out[i].flags & OP_DIFF) bad |= add_value(f, "d_", c->op->out[i].name, &c->cot[i]);
    return bad ? -1 : 0;
}

int op_add_answer(tensor_file *f, const op_case *c, bool gradients)
{
    int bad = 0;
    for (size_t i = 0; c->op->out[i].name; i++) bad |= add_value(f, "", c->op->out[i].name, &c->out[i]);
    for (size_t i = 0; gradients && c->op->in[i].name; i++)
        if (c->op->in[i].flags & OP_DIFF) bad |= add_value(f, "d_", c->op->in[i].name, &c->grad[i]);
    return bad ? -1 : 0;
}
