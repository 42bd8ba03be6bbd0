/* safetensors: an 8-byte little-endian header length, a header in JSON, and the tensors' bytes, little-endian,
 * row-major. The subset that is read and written is spec/formats.md's. */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif

#include "tensorfile.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The limit of the format's reference implementation. */
#define HEADER_LIMIT UINT64_C(100000000)

static const bool big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;

/* What every function of the reader needs, so that an error can name the file. */
typedef struct {
    const char *label;
    size_t size; /* of the section after the header */
    bool any_dtype; /* one that this library does not read is no error */
    tensor_layout *to;
    tensor_file *metadata; /* NULL: it is checked and forgotten */
    char *err;
    size_t errlen;
} reader;

static int dtype_find(const char *name, tensor_dtype *dtype)
{
    static const tensor_dtype all[] = {TENSOR_F64, TENSOR_F32, TENSOR_BF16, TENSOR_F16, TENSOR_I64};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(tensor_dtype_name(all[i]), name) == 0) {
            *dtype = all[i];
            return 0;
        }
    return -1;
}

/* --- reading --- */

/* A JSON integer that is not negative.  What else may stand there is refused. */
static int size_from(const json_t *j, size_t *value)
{
    if (!json_is_integer(j) || json_integer_value(j) < 0) return -1;
    if ((uintmax_t)json_integer_value(j) > (uintmax_t)SIZE_MAX) return -1;
    *value = (size_t)json_integer_value(j);
    return 0;
}

static int read_dtype(const reader *r, const char *name, const json_t *j, tensor_place *t)
{
    char q[TENSOR_QUOTED], v[TENSOR_QUOTED];
    if (!json_is_string(j))
        return tensor_fail(r->err, r->errlen, "%s: tensor %s: expected \"dtype\", one of " TENSOR_DTYPES, r->label,
                           tensor_quote(q, name));
    snprintf(t->dtype_name, sizeof t->dtype_name, "%s", json_string_value(j));
    t->known = dtype_find(json_string_value(j), &t->dtype) == 0;
    if (!t->known && !r->any_dtype)
        return tensor_fail(r->err, r->errlen,
                           "%s: tensor %s: dtype %s is not supported, expected one of " TENSOR_DTYPES, r->label,
                           tensor_quote(q, name), tensor_quote(v, json_string_value(j)));
    return 0;
}

static int read_shape(const reader *r, const char *name, const json_t *j, tensor_place *t)
{
    char q[TENSOR_QUOTED], shape[TENSOR_SHAPE];
    if (!json_is_array(j))
        return tensor_fail(r->err, r->errlen, "%s: tensor %s: expected \"shape\", an array of sizes", r->label,
                           tensor_quote(q, name));
    if (json_array_size(j) > TENSOR_RANK)
        return tensor_fail(r->err, r->errlen, "%s: tensor %s: %zu dimensions, expected at most %d", r->label,
                           tensor_quote(q, name), json_array_size(j), (int)TENSOR_RANK);
    t->rank = json_array_size(j);
    for (size_t i = 0; i < t->rank; i++)
        if (size_from(json_array_get(j, i), &t->dim[i]) != 0)
            return tensor_fail(r->err, r->errlen, "%s: tensor %s: expected sizes in \"shape\", integers from 0 on",
                               r->label, tensor_quote(q, name));
    if (tensor_count(t->rank, t->dim, &t->count) != 0)
        return tensor_fail(r->err, r->errlen, "%s: tensor %s: shape %s has more elements than memory has addresses",
                           r->label, tensor_quote(q, name), tensor_shape_text(shape, t->rank, t->dim));
    return 0;
}

static int read_offsets(const reader *r, const char *name, const json_t *j, tensor_place *t)
{
    char q[TENSOR_QUOTED], shape[TENSOR_SHAPE];
    if (!json_is_array(j) || json_array_size(j) != 2 || size_from(json_array_get(j, 0), &t->begin) != 0 ||
        size_from(json_array_get(j, 1), &t->end) != 0)
        return tensor_fail(r->err, r->errlen, "%s: tensor %s: expected \"data_offsets\", two integers from 0 on",
                           r->label, tensor_quote(q, name));
    if (t->begin > t->end || t->end > r->size)
        return tensor_fail(r->err, r->errlen,
                           "%s: tensor %s: bytes %zu to %zu, expected a range within the %zu bytes of data", r->label,
                           tensor_quote(q, name), t->begin, t->end, r->size);
    if (!t->known) return 0;
    size_t expected = t->count * tensor_dtype_size(t->dtype);
    if (t->end - t->begin != expected)
        return tensor_fail(r->err, r->errlen, "%s: tensor %s: %zu bytes, expected %zu for shape %s of %s", r->label,
                           tensor_quote(q, name), t->end - t->begin, expected,
                           tensor_shape_text(shape, t->rank, t->dim), tensor_dtype_name(t->dtype));
    return 0;
}

static int check_fields(const reader *r, const char *name, json_t *j)
{
    char q[TENSOR_QUOTED], v[TENSOR_QUOTED];
    const char *field;
    json_t *value;
    if (!json_is_object(j))
        return tensor_fail(r->err, r->errlen, "%s: tensor %s: expected an object with dtype, shape and data_offsets",
                           r->label, tensor_quote(q, name));
    json_object_foreach(
        j, field,
        value) if (strcmp(field, "dtype") != 0 && strcmp(field, "shape") != 0 &&
                   strcmp(field, "data_offsets") !=
                       0) return tensor_fail(r->err, r->errlen,
                                             "%s: tensor %s: unknown field %s, expected dtype, shape and data_offsets",
                                             r->label, tensor_quote(q, name), tensor_quote(v, field));
    return 0;
}

static int read_tensor(const reader *r, const char *name, json_t *j)
{
    tensor_place t = {.dtype = TENSOR_F64};
    if (*name == '\0') return tensor_fail(r->err, r->errlen, "%s: a tensor without a name", r->label);
    if (check_fields(r, name, j) != 0 || read_dtype(r, name, json_object_get(j, "dtype"), &t) != 0 ||
        read_shape(r, name, json_object_get(j, "shape"), &t) != 0 ||
        read_offsets(r, name, json_object_get(j, "data_offsets"), &t) != 0)
        return -1;
    t.name = strdup(name);
    if (t.name == NULL) return tensor_fail(r->err, r->errlen, "%s: out of memory", r->label);
    r->to->t[r->to->tensors++] = t;
    return 0;
}

static int read_metadata(const reader *r, json_t *j)
{
    char q[TENSOR_QUOTED];
    const char *key;
    json_t *value;
    if (!json_is_object(j))
        return tensor_fail(r->err, r->errlen, "%s: expected \"__metadata__\", an object of strings", r->label);
    json_object_foreach(j, key, value)
    {
        if (!json_is_string(value))
            return tensor_fail(r->err, r->errlen, "%s: __metadata__ %s: expected a string", r->label,
                               tensor_quote(q, key));
        if (r->metadata != NULL && tensor_file_add_meta(r->metadata, key, json_string_value(value)) != 0)
            return tensor_fail(r->err, r->errlen, "%s: out of memory", r->label);
    }
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const tensor_place *s = *(const tensor_place *const *)a, *t = *(const tensor_place *const *)b;
    if (s->begin != t->begin) return s->begin < t->begin ? -1 : 1;
    return (s->end > t->end) - (s->end < t->end);
}

/* The tensors' ranges must follow one another from the first byte of the data to the last, in whatever order. */
static int check_tiling(const reader *r)
{
    char q[TENSOR_QUOTED];
    size_t at = 0, n = r->to->tensors;
    const tensor_place **sorted = malloc((n + 1) * sizeof *sorted);
    if (sorted == NULL) return tensor_fail(r->err, r->errlen, "%s: out of memory", r->label);
    for (size_t i = 0; i < n; i++) sorted[i] = &r->to->t[i];
    qsort(sorted, n, sizeof *sorted, by_place);
    int result = 0;
    for (size_t i = 0; i < n && result == 0; i++) {
        if (sorted[i]->begin != at)
            result = tensor_fail(r->err, r->errlen, "%s: tensor %s: begins at byte %zu and %s, expected %zu", r->label,
                                 tensor_quote(q, sorted[i]->name), sorted[i]->begin,
                                 sorted[i]->begin < at ? "overlaps the one before it" : "leaves a hole before it", at);
        at = sorted[i]->end;
    }
    free(sorted);
    if (result == 0 && at != r->size)
        return tensor_fail(r->err, r->errlen, "%s: %zu bytes of data, expected %zu: bytes after the last tensor",
                           r->label, r->size, at);
    return result;
}

static int read_header(const reader *r, json_t *header)
{
    const char *name;
    json_t *value;
    r->to->t = calloc(json_object_size(header) + 1, sizeof *r->to->t);
    if (r->to->t == NULL) return tensor_fail(r->err, r->errlen, "%s: out of memory", r->label);
    int result = 0;
    json_object_foreach(header, name, value)
    {
        result = strcmp(name, "__metadata__") == 0 ? read_metadata(r, value) : read_tensor(r, name, value);
        if (result != 0) break;
    }
    return result == 0 ? check_tiling(r) : result;
}

/* The first 8 bytes, the header's length, in a file of n bytes. */
static int read_length(const char *label, const unsigned char *b, size_t n, size_t *length, char *err, size_t errlen)
{
    uint64_t announced = 0;
    if (n < 8)
        return tensor_fail(err, errlen, "%s: %zu bytes, expected a safetensors file: its header length takes 8", label,
                           n);
    for (size_t i = 8; i-- > 0;) announced = announced << 8 | b[i];
    if (announced > HEADER_LIMIT)
        return tensor_fail(err, errlen,
                           "%s: is no safetensors, .npy or .npz file: a header length of %llu, expected at most %llu",
                           label, (unsigned long long)announced, (unsigned long long)HEADER_LIMIT);
    if (announced > n - 8)
        return tensor_fail(err, errlen, "%s: truncated: a header of %llu bytes is announced, %zu bytes follow", label,
                           (unsigned long long)announced, n - 8);
    *length = (size_t)announced;
    return 0;
}

/* Fills r->to, of which the caller disposes on failure too. */
static int read_layout(const reader *r, const unsigned char *b, size_t length)
{
    if (length < 2 || b[8] != '{')
        return tensor_fail(r->err, r->errlen,
                           "%s: is no safetensors, .npy or .npz file: expected a header that begins with {", r->label);
    json_error_t problem;
    char q[TENSOR_QUOTED];
    json_t *header = json_loadb((const char *)b + 8, length, JSON_REJECT_DUPLICATES, &problem);
    if (header == NULL)
        return tensor_fail(r->err, r->errlen, "%s: header is not valid JSON: %s at byte %d", r->label,
                           tensor_quote(q, problem.text), problem.position);
    int result = read_header(r, header);
    json_decref(header);
    return result;
}

static int layout(const char *label, const void *head, size_t have, size_t n, size_t *need, bool any_dtype,
                  tensor_layout *l, tensor_file *metadata, char *err, size_t errlen)
{
    size_t length = 0;
    *l = (tensor_layout){0};
    *need = 8;
    if (have < 8 && have < n) return 0;
    if (read_length(label, head, n, &length, err, errlen) != 0) return -1;
    *need = 8 + length;
    if (have < *need) return 0;
    const reader r = {label, n - *need, any_dtype, l, metadata, err, errlen};
    int result = read_layout(&r, head, length);
    for (size_t i = 0; i < l->tensors; i++) {
        l->t[i].begin += *need;
        l->t[i].end += *need;
        l->t[i].swap = big_endian;
    }
    if (result != 0) tensor_layout_clear(l);
    return result;
}

int tensor_layout_safetensors(const char *label, const void *head, size_t have, size_t n, size_t *need,
                              tensor_layout *l, char *err, size_t errlen)
{
    return layout(label, head, have, n, need, true, l, NULL, err, errlen);
}

int tensor_head_safetensors(const char *label, const void *head, size_t have, size_t n, size_t *need, tensor_layout *l,
                            tensor_file *metadata, char *err, size_t errlen)
{
    return layout(label, head, have, n, need, false, l, metadata, err, errlen);
}

/* Copies of the tensors that a layout describes. */
static int add_tensors(const char *label, const tensor_layout *l, const unsigned char *data, tensor_file *f, char *err,
                       size_t errlen)
{
    for (size_t i = 0; i < l->tensors; i++) {
        const tensor_place *t = &l->t[i];
        if (tensor_file_add(f, t->name, t->dtype, t->rank, t->dim, data + t->begin) != 0)
            return tensor_fail(err, errlen, "%s: out of memory", label);
        if (big_endian) tensor_swap(f->t[i].data, t->count, tensor_dtype_size(t->dtype));
    }
    return 0;
}

int tensor_file_parse_safetensors(const char *label, const void *bytes, size_t n, tensor_file *f, char *err,
                                  size_t errlen)
{
    const unsigned char *b = bytes;
    tensor_layout l = {0};
    size_t length = 0;
    *f = (tensor_file){0};
    if (read_length(label, b, n, &length, err, errlen) != 0) return -1;
    const reader r = {label, n - 8 - length, false, &l, f, err, errlen};
    int result = read_layout(&r, b, length);
    if (result == 0) result = add_tensors(label, &l, b + 8 + length, f, err, errlen);
    tensor_layout_clear(&l);
    if (result != 0) tensor_file_clear(f);
    return result;
}

/* --- writing --- */

static json_t *shape_to_json(const tensor *t)
{
    json_t *shape = json_array();
    for (size_t i = 0; i < t->rank; i++)
        if (json_array_append_new(shape, json_integer((json_int_t)t->dim[i])) != 0) {
            json_decref(shape);
            return NULL;
        }
    return shape;
}

/* Adds one tensor's entry to the header; *at is where its bytes begin, and then where they end. */
static int describe(json_t *header, const char *path, const tensor *t, size_t *at, char *err, size_t errlen)
{
    char q[TENSOR_QUOTED];
    size_t count;
    if (*t->name == '\0' || strcmp(t->name, "__metadata__") == 0 || json_object_get(header, t->name) != NULL)
        return tensor_fail(err, errlen, "%s: tensor %s: cannot be written: the name is empty, reserved or there twice",
                           path, tensor_quote(q, t->name));
    if (t->rank > TENSOR_RANK || tensor_count(t->rank, t->dim, &count) != 0 || count != t->count)
        return tensor_fail(err, errlen, "%s: tensor %s: cannot be written: its shape does not hold %zu elements", path,
                           tensor_quote(q, t->name), t->count);
    size_t end = *at + count * tensor_dtype_size(t->dtype);
    json_t *entry = json_pack("{s:s, s:o, s:[I,I]}", "dtype", tensor_dtype_name(t->dtype), "shape", shape_to_json(t),
                              "data_offsets", (json_int_t)*at, (json_int_t)end);
    *at = end;
    if (json_object_set_new(header, t->name, entry) != 0)
        return tensor_fail(err, errlen, "%s: tensor %s: cannot be written: a name that is not UTF-8, or out of memory",
                           path, tensor_quote(q, t->name));
    return 0;
}

static int describe_metadata(json_t *header, const char *path, const tensor_file *f, char *err, size_t errlen)
{
    char q[TENSOR_QUOTED];
    json_t *metadata = json_object();
    for (size_t i = 0; i < f->entries; i++)
        if (json_object_get(metadata, f->entry[i].key) != NULL ||
            json_object_set_new(metadata, f->entry[i].key, json_string(f->entry[i].value)) != 0) {
            json_decref(metadata);
            return tensor_fail(err, errlen, "%s: __metadata__ %s: cannot be written: not UTF-8, or there twice", path,
                               tensor_quote(q, f->entry[i].key));
        }
    if (json_object_set_new(header, "__metadata__", metadata) != 0)
        return tensor_fail(err, errlen, "%s: out of memory", path);
    return 0;
}

/* The first part of the file: length, header, and spaces up to a multiple of 8, so that the data are aligned. */
static unsigned char *frame(const char *path, const tensor_file *f, size_t *n, char *err, size_t errlen)
{
    json_t *header = json_object();
    size_t at = 0;
    int result = header == NULL ? tensor_fail(err, errlen, "%s: out of memory", path) : 0;
    if (result == 0 && f->entries > 0) result = describe_metadata(header, path, f, err, errlen);
    for (size_t i = 0; i < f->tensors && result == 0; i++) result = describe(header, path, &f->t[i], &at, err, errlen);
    char *text = result == 0 ? json_dumps(header, JSON_COMPACT) : NULL;
    json_decref(header);
    if (result != 0) return NULL;

    size_t length = text == NULL ? 0 : strlen(text), padded = (length + 7) / 8 * 8;
    unsigned char *bytes = text == NULL ? NULL : malloc(8 + padded);
    if (bytes == NULL || padded > HEADER_LIMIT) {
        tensor_fail(err, errlen,
                    "%s: cannot be written: a header of %zu bytes, expected at most %llu and the memory for it", path,
                    padded, (unsigned long long)HEADER_LIMIT);
        free(text);
        free(bytes);
        return NULL;
    }
    for (size_t i = 0; i < 8; i++) bytes[i] = (unsigned char)((uint64_t)padded >> (8 * i));
    memcpy(bytes + 8, text, length);
    memset(bytes + 8 + length, ' ', padded - length);
    free(text);
    *n = 8 + padded;
    return bytes;
}

/* On a big-endian host the data are copied and swapped; elsewhere they are written from where they are. */
static int gather_parts(const tensor_file *f, file_part *part, unsigned char **copy)
{
    for (size_t i = 0; i < f->tensors; i++) {
        const tensor *t = &f->t[i];
        size_t size = tensor_dtype_size(t->dtype), bytes = t->count * size;
        part[i] = (file_part){t->data, bytes};
        if (!big_endian) continue;
        copy[i] = malloc(bytes ? bytes : 1);
        if (copy[i] == NULL) return -1;
        if (bytes) memcpy(copy[i], t->data, bytes);
        tensor_swap(copy[i], t->count, size);
        part[i].bytes = copy[i];
    }
    return 0;
}

int tensor_file_write(const char *path, const tensor_file *f, char *err, size_t errlen)
{
    size_t n = 0;
    unsigned char *head = frame(path, f, &n, err, errlen);
    if (head == NULL) return -1;
    file_part *part = calloc(f->tensors + 1, sizeof *part);
    unsigned char **copy = calloc(f->tensors + 1, sizeof *copy);
    int result;
    if (part == NULL || copy == NULL || gather_parts(f, part + 1, copy) != 0) {
        result = tensor_fail(err, errlen, "%s: cannot be written: out of memory", path);
    } else {
        part[0] = (file_part){head, n};
        result = whole_file_write(path, f->tensors + 1, part, err, errlen);
    }
    for (size_t i = 0; copy != NULL && i < f->tensors; i++) free(copy[i]);
    free(copy);
    free(part);
    free(head);
    return result;
}
