/* See stream.h. */
#include "stream.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "prompt.h"

/* --- writing ----------------------------------------------------------------------------------------------------- */

static void write_number(FILE *f, double x)
{
    char text[40];
    snprintf(text, sizeof text, "%.15g", x);
    if (strtod(text, NULL) != x) snprintf(text, sizeof text, "%.17g", x);
    fprintf(f, "%s%s", text, strpbrk(text, ".e") ? "" : ".0"); /* a real stays a real for every reader of JSON */
}

static void write_tensor(FILE *f, const char *before, const char *name, const op_value *v)
{
    fprintf(f, "%s%s\": {\"dtype\": \"%s\", \"shape\": [", before, name, v->i64 ? "I64" : "F64");
    for (size_t i = 0; i < v->rank; i++) fprintf(f, "%s%zu", i ? ", " : "", v->dim[i]);
    fprintf(f, "], \"data\": [");
    for (size_t i = 0; i < v->count; i++) {
        if (i) fputs(", ", f);
        if (v->i64)
            fprintf(f, "%lld", (long long)v->i64[i]);
        else
            write_number(f, v->f64[i]);
    }
    fprintf(f, "]}");
}

int stream_write_prompt(FILE *f, const op_case *c, const char *name)
{
    char *parameters = op_parameters_json(c);
    if (!parameters) return -1;
    fprintf(f, "{\"name\": \"%s\", \"op\": \"%s\", \"sizes\": {", name, c->op->id);
    for (size_t i = 0; i < c->dims; i++) fprintf(f, "%s\"%c\": %zu", i ? ", " : "", c->dim_name[i], c->dim_size[i]);
    fprintf(f, "}, \"parameters\": %s, \"inputs\": {", parameters);
    free(parameters);
    for (size_t i = 0; c->op->in[i].name; i++) write_tensor(f, i ? ", \"" : "\"", c->op->in[i].name, &c->in[i]);
    fprintf(f, "}, \"cotangents\": {");
    const char *before = "\"d_";
    for (size_t i = 0; c->op->out[i].name; i++) {
        if (!(c->op->out[i].flags & OP_DIFF)) continue;
        write_tensor(f, before, c->op->out[i].name, &c->cot[i]);
        before = ", \"d_";
    }
    fprintf(f, "}}\n");
    return 0;
}

/* --- reading a line ---------------------------------------------------------------------------------------------- */

json_t *stream_parse(const char *line, size_t n, char *err, size_t errlen)
{
    json_error_t problem;
    size_t brackets = 0;
    for (size_t i = 0; i < n; i++) brackets += line[i] == '{' || line[i] == '[';
    if (brackets > STREAM_BRACKETS) {
        tensor_fail(err, errlen, "%zu arrays and objects, expected at most %d", brackets, STREAM_BRACKETS);
        return NULL;
    }
    /* Whole numbers too are read as reals: one of 10^20 is a number like others, and -0 keeps its sign. */
    json_t *root = json_loadb(line, n, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &problem);
    if (json_is_object(root)) return root;
    if (root) {
        tensor_fail(err, errlen, "is no JSON object");
        json_decref(root);
        return NULL;
    }
    for (char *s = problem.text; *s; s++)
        if (*s < 0x20 || *s > 0x7e) *s = '?'; /* what it quotes comes from the line: the error stays one line */
    tensor_fail(err, errlen, "is not valid JSON: %.150s at byte %d%s", problem.text, problem.position,
                strstr(problem.text, "NaN") || strstr(problem.text, "Infinity")
                    ? " (what JSON does not have is one of the strings \"nan\", \"inf\", \"-inf\")"
                    : "");
    return NULL;
}

/* Are these the object's fields, no more and no fewer? */
static bool has_fields(const json_t *object, size_t fields, const char *const *field, const char *what, char *err,
                       size_t errlen)
{
    char quoted[TENSOR_QUOTED], known[100] = "";
    size_t found = 0, at = 0;
    const char *key;
    json_t *value;
    if (!json_is_object(object)) {
        tensor_fail(err, errlen, "%s: expected an object", what);
        return false;
    }
    for (size_t i = 0; i < fields; i++)
        at += (size_t)snprintf(known + at, sizeof known - at, "%s\"%s\"", i ? ", " : "", field[i]);
    json_object_foreach((json_t *)object, key, value)
    {
        size_t i = 0;
        while (i < fields && strcmp(key, field[i]) != 0) i++;
        found += i < fields;
        if (i == fields) {
            tensor_fail(err, errlen, "%s: unknown field %s, expected %s", what, tensor_quote(quoted, key), known);
            return false;
        }
    }
    if (found < fields) tensor_fail(err, errlen, "%s: a field is missing, expected %s", what, known);
    return found == fields;
}

/* --- numbers ----------------------------------------------------------------------------------------------------- */

/* Rounds to `bits` significant bits, fewer below 2^lowest; ties to even. */
static double round_to(double x, int bits, int lowest)
{
    if (!(fabs(x) > 0) || isinf(x)) return x;
    const int e = ilogb(x) < lowest ? lowest : ilogb(x);
    return ldexp(nearbyint(ldexp(x, bits - 1 - e)), e - bits + 1);
}

static uint16_t to_bfloat16(double x)
{
    const float f = (float)round_to(x, 8, -126);
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return isnan(x) ? 0x7fc0 : (uint16_t)(bits >> 16);
}

static uint16_t to_half(double x)
{
    const unsigned sign = signbit(x) ? 0x8000 : 0;
    const double y = fabs(round_to(x, 11, -14));
    if (isnan(x)) return 0x7e00;
    if (y >= 0x1p16) return (uint16_t)(sign | 0x7c00);
    if (y < 0x1p-14) return (uint16_t)(sign | (unsigned)ldexp(y, 24));
    const int e = ilogb(y);
    return (uint16_t)(sign | (((unsigned)(e + 14) << 10) + (unsigned)ldexp(y, 10 - e)));
}

/* Element i of a tensor from JSON.  False: it is no number of this dtype. */
static bool set_element(tensor *t, size_t i, const json_t *value)
{
    double x = json_real_value(value);
    if (json_is_string(value)) {
        const char *s = json_string_value(value);
        x = strcmp(s, "nan") == 0 ? NAN : strcmp(s, "inf") == 0 ? INFINITY : -INFINITY;
        if (isinf(x) && x < 0 && strcmp(s, "-inf") != 0) return false;
    } else if (!json_is_real(value))
        return false;
    switch (t->dtype) {
    case TENSOR_F64:
        ((double *)t->data)[i] = x;
        return true;
    case TENSOR_F32:
        ((float *)t->data)[i] = (float)x;
        return true;
    case TENSOR_BF16:
        ((uint16_t *)t->data)[i] = to_bfloat16(x);
        return true;
    case TENSOR_F16:
        ((uint16_t *)t->data)[i] = to_half(x);
        return true;
    case TENSOR_I64:
        break;
    }
    const bool is_exact = x >= -0x1p53 && x <= 0x1p53;
    if (!is_exact || nearbyint(x) != x) return false;
    ((int64_t *)t->data)[i] = (int64_t)x;
    return true;
}

/* --- tensors ----------------------------------------------------------------------------------------------------- */

static int read_dtype(const json_t *j, tensor_dtype *t)
{
    const tensor_dtype all[] = {TENSOR_F64, TENSOR_F32, TENSOR_BF16, TENSOR_F16, TENSOR_I64};
    for (size_t i = 0; json_is_string(j) && i < sizeof all / sizeof *all; i++) {
        *t = all[i];
        if (strcmp(json_string_value(j), tensor_dtype_name(all[i])) == 0) return 0;
    }
    return -1;
}

static int read_shape(const json_t *j, tensor *t)
{
    if (!json_is_array(j) || json_array_size(j) > TENSOR_RANK) return -1;
    t->rank = json_array_size(j);
    for (size_t i = 0; i < t->rank; i++) {
        const json_t *size = json_array_get(j, i);
        const double x = json_real_value(size);
        if (!json_is_real(size) || !(x >= 0 && x <= STREAM_LINE) || nearbyint(x) != x) return -1;
        t->dim[i] = (size_t)x;
    }
    return tensor_count(t->rank, t->dim, &t->count);
}

static int add_tensor(tensor_file *f, const char *name, const json_t *j, char *err, size_t errlen)
{
    static const char *const fields[] = {"dtype", "shape", "data"};
    char quoted[TENSOR_QUOTED], shape[TENSOR_SHAPE];
    tensor t = {0};
    tensor_quote(quoted, name);
    if (!*name) return tensor_fail(err, errlen, "a tensor without a name");
    if (!has_fields(j, 3, fields, quoted, err, errlen)) return -1;
    const json_t *data = json_object_get(j, "data");
    if (read_dtype(json_object_get(j, "dtype"), &t.dtype) != 0)
        return tensor_fail(err, errlen, "%s: dtype: expected one of " TENSOR_DTYPES, quoted);
    if (read_shape(json_object_get(j, "shape"), &t) != 0)
        return tensor_fail(err, errlen, "%s: shape: expected an array of at most %d sizes", quoted, TENSOR_RANK);
    if (!json_is_array(data)) return tensor_fail(err, errlen, "%s: data: expected an array of numbers", quoted);
    if (json_array_size(data) != t.count)
        return tensor_fail(err, errlen, "%s: data has %zu numbers, expected %zu for shape %s", quoted,
                           json_array_size(data), t.count, tensor_shape_text(shape, t.rank, t.dim));
    t.data = calloc(t.count ? t.count : 1, tensor_dtype_size(t.dtype));
    if (!t.data) return tensor_fail(err, errlen, "out of memory");
    size_t i = 0;
    while (i < t.count && set_element(&t, i, json_array_get(data, i))) i++;
    int status = 0;
    if (i < t.count)
        status = tensor_fail(err, errlen, "%s: element %zu is no %s", quoted, i,
                             t.dtype == TENSOR_I64 ? "whole number of I64 up to 2^53"
                                                   : "number, nor one of the strings \"nan\", \"inf\", \"-inf\"");
    else if (tensor_file_add(f, name, t.dtype, t.rank, t.dim, t.data) != 0)
        status = tensor_fail(err, errlen, "out of memory");
    free(t.data);
    return status;
}

static int read_tensors(const json_t *root, char **name, tensor_file *f, char *err, size_t errlen)
{
    static const char *const fields[] = {"name", "tensors"};
    const json_t *given = json_object_get(root, "name"), *tensors = json_object_get(root, "tensors");
    const char *key;
    json_t *value;
    if (!has_fields(root, 2, fields, "an answer", err, errlen)) return -1;
    if (!json_is_string(given)) return tensor_fail(err, errlen, "name: expected a string");
    *name = strdup(json_string_value(given));
    if (!*name) return tensor_fail(err, errlen, "out of memory");
    if (!json_is_object(tensors)) {
        tensor_fail(err, errlen, "tensors: expected an object");
        return 1;
    }
    json_object_foreach((json_t *)tensors, key, value) if (add_tensor(f, key, value, err, errlen) != 0) return 1;
    return 0;
}

int stream_read_answer(const char *line, size_t n, char **name, tensor_file *f, char *err, size_t errlen)
{
    *name = NULL;
    memset(f, 0, sizeof *f);
    json_t *root = stream_parse(line, n, err, errlen);
    if (!root) return -1;
    const int status = read_tensors(root, name, f, err, errlen);
    if (status != 0) tensor_file_clear(f);
    json_decref(root);
    return status;
}
