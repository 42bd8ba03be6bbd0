/* Prompts in, answers out, for a client in C or C++: one header to copy, no library.
 *
 *   sr_file prompt;
 *   if (!sr_read(argv[1], &prompt)) return 1;            a line on standard error says why
 *   const sr_tensor *r = sr_find(&prompt, "r");          r->dim[0], r->dim[1], r->f64[...]
 *   long k = sr_int(&prompt, "k");
 *   sr_file answer = {0};
 *   double *weight = sr_add(&answer, "weight", 2, (size_t[]){T, K})->f64;   zeroed
 *   int64_t *index = sr_add_i64(&answer, "index", 2, (size_t[]){T, K})->i64;
 *   return sr_write(argv[2], &answer) ? 0 : 1;
 *
 * A prompt has F64 and I64 tensors and nothing else, and so has the answer: F64 holds every precision.  The format is in
 * spec/formats.md.  Little-endian machines.
 */
#ifndef SMOEREF_CLIENT_H
#define SMOEREF_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SR_TENSORS = 64, SR_RANK = 8, SR_TEXT = 2048 };

typedef struct {
    char name[64];
    size_t rank, dim[SR_RANK], count;
    double *f64; /* one of the two is set */
    int64_t *i64;
} sr_tensor;

typedef struct {
    size_t tensors;
    sr_tensor t[SR_TENSORS];
    char op[128], name[256], parameters[SR_TEXT]; /* parameters: a JSON object as text */
} sr_file;

static inline bool sr_fail(const char *path, const char *why)
{
    fprintf(stderr, "%s: %s\n", path, why);
    return false;
}

/* --- as much of JSON as there is in a header: objects, strings, arrays of numbers -------------------------------- */

typedef struct {
    const char *at, *end;
} sr_cursor;

static inline char sr_peek(sr_cursor *c)
{
    while (c->at < c->end && strchr(" \t\r\n", *c->at)) c->at++;
    return c->at < c->end ? *c->at : '\0';
}

static inline bool sr_take(sr_cursor *c, char wanted)
{
    if (sr_peek(c) != wanted) return false;
    c->at++;
    return true;
}

/* A string without its quotes and escapes.  False if it is none, or longer than the room. */
static inline bool sr_string(sr_cursor *c, char *out, size_t room)
{
    size_t n = 0;
    if (!sr_take(c, '"')) return false;
    for (; c->at < c->end && *c->at != '"'; c->at++) {
        if (*c->at == '\\' && ++c->at == c->end) return false;
        if (n + 1 >= room) return false;
        out[n++] = *c->at;
    }
    out[n] = '\0';
    return sr_take(c, '"');
}

static inline bool sr_number(sr_cursor *c, size_t *out)
{
    char digits[24];
    size_t n = 0;
    if (sr_peek(c) < '0' || sr_peek(c) > '9') return false;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9' && n + 1 < sizeof digits) digits[n++] = *c->at++;
    digits[n] = '\0';
    *out = (size_t)strtoull(digits, NULL, 10);
    return true;
}

/* [2,3]: at most `most` numbers. */
static inline bool sr_numbers(sr_cursor *c, size_t most, size_t *out, size_t *n)
{
    *n = 0;
    if (!sr_take(c, '[')) return false;
    if (sr_take(c, ']')) return true;
    do {
        if (*n == most || !sr_number(c, &out[(*n)++])) return false;
    } while (sr_take(c, ','));
    return sr_take(c, ']');
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

static inline bool sr_metadata(sr_cursor *c, sr_file *f)
{
    char key[64], other[SR_TEXT];
    if (!sr_take(c, '{')) return false;
    if (sr_take(c, '}')) return true;
    do {
        if (!sr_string(c, key, sizeof key) || !sr_take(c, ':')) return false;
        const bool op = strcmp(key, "op") == 0, name = strcmp(key, "case") == 0;
        if (!(op                               ? sr_string(c, f->op, sizeof f->op)
              : name                           ? sr_string(c, f->name, sizeof f->name)
              : strcmp(key, "parameters") == 0 ? sr_string(c, f->parameters, sizeof f->parameters)
                                               : sr_string(c, other, sizeof other)))
            return false;
    } while (sr_take(c, ','));
    return sr_take(c, '}');
}

/* {"dtype":"F64","shape":[2,3],"data_offsets":[0,48]} into the next tensor of f. */
static inline bool sr_entry(sr_cursor *c, sr_file *f, const char *name, const char *data, size_t bytes)
{
    char key[32], dtype[8] = "";
    size_t offsets[2] = {0, 0}, n = 0;
    if (f->tensors == SR_TENSORS || !sr_take(c, '{')) return false;
    sr_tensor *t = &f->t[f->tensors];
    do {
        if (!sr_string(c, key, sizeof key) || !sr_take(c, ':')) return false;
        if (!(strcmp(key, "dtype") == 0   ? sr_string(c, dtype, sizeof dtype)
              : strcmp(key, "shape") == 0 ? sr_numbers(c, SR_RANK, t->dim, &t->rank)
                                          : sr_numbers(c, 2, offsets, &n)))
            return false;
    } while (sr_take(c, ','));
    t->count = 1;
    for (size_t i = 0; i < t->rank; i++) t->count *= t->dim[i];
    const bool integer = strcmp(dtype, "I64") == 0;
    if (!sr_take(c, '}') || (!integer && strcmp(dtype, "F64") != 0)) return false;
    if (n != 2 || t->count > bytes / 8 || offsets[1] > bytes || offsets[0] > offsets[1] ||
        offsets[1] - offsets[0] != 8 * t->count)
        return false;
    void *copy = malloc(8 * t->count + 1);
    if (!copy) return false;
    memcpy(copy, data + offsets[0], 8 * t->count);
    if (integer)
        t->i64 = (int64_t *)copy;
    else
        t->f64 = (double *)copy;
    snprintf(t->name, sizeof t->name, "%s", name);
    f->tensors++;
    return true;
}

static inline bool sr_parse(const char *bytes, size_t n, sr_file *f)
{
    uint64_t header = 0;
    char name[64];
    if (n < 8) return false;
    memcpy(&header, bytes, 8);
    if (header > n - 8) return false;
    sr_cursor c = {bytes + 8, bytes + 8 + header};
    if (!sr_take(&c, '{')) return false;
    if (sr_take(&c, '}')) return true;
    do {
        if (!sr_string(&c, name, sizeof name) || !sr_take(&c, ':')) return false;
        if (!(strcmp(name, "__metadata__") == 0 ? sr_metadata(&c, f)
                                                : sr_entry(&c, f, name, bytes + 8 + header, n - 8 - (size_t)header)))
            return false;
    } while (sr_take(&c, ','));
    return sr_take(&c, '}');
}

static inline bool sr_read(const char *path, sr_file *f)
{
    FILE *in = fopen(path, "rb");
    char *bytes = NULL;
    size_t n = 0, room = 0;
    memset(f, 0, sizeof *f);
    if (!in) return sr_fail(path, "cannot be read");
    while (!feof(in) && !ferror(in)) {
        if (n == room) {
            char *grown = (char *)realloc(bytes, room = 2 * room + 4096);
            if (!grown) break;
            bytes = grown;
        }
        n += fread(bytes + n, 1, room - n, in);
    }
    const bool whole = feof(in) && !ferror(in);
    fclose(in);
    const bool good = whole && sr_parse(bytes, n, f);
    free(bytes);
    return good || sr_fail(path, "is no prompt");
}

static inline const sr_tensor *sr_find(const sr_file *f, const char *name)
{
    for (size_t i = 0; i < f->tensors; i++)
        if (strcmp(f->t[i].name, name) == 0) return &f->t[i];
    fprintf(stderr, "the prompt has no tensor '%s'\n", name);
    exit(1);
}

/* Where the value of a parameter begins in the text of the parameters. */
static inline const char *sr_value(const sr_file *f, const char *name)
{
    const size_t n = strlen(name);
    for (const char *p = strchr(f->parameters, '"'); p; p = strchr(p + 1, '"'))
        if (strncmp(p + 1, name, n) == 0 && p[n + 1] == '"' && p[n + 2] == ':')
            return p + n + 3 + strspn(p + n + 3, " ");
    fprintf(stderr, "the prompt has no parameter '%s'\n", name);
    exit(1);
}

static inline long sr_int(const sr_file *f, const char *name) { return strtol(sr_value(f, name), NULL, 10); }
static inline double sr_real(const sr_file *f, const char *name) { return strtod(sr_value(f, name), NULL); }

/* Is a parameter this choice? */
static inline bool sr_is(const sr_file *f, const char *name, const char *choice)
{
    const char *p = sr_value(f, name);
    const size_t n = strlen(choice);
    return *p == '"' && strncmp(p + 1, choice, n) == 0 && p[n + 1] == '"';
}

/* --- writing ----------------------------------------------------------------------------------------------------- */

static inline sr_tensor *sr_new(sr_file *f, const char *name, size_t rank, const size_t *dim)
{
    if (f->tensors == SR_TENSORS || rank > SR_RANK) abort();
    sr_tensor *t = &f->t[f->tensors++];
    memset(t, 0, sizeof *t);
    snprintf(t->name, sizeof t->name, "%s", name);
    t->rank = rank;
    t->count = 1;
    for (size_t i = 0; i < rank; i++) t->count *= t->dim[i] = dim[i];
    return t;
}

static inline void *sr_zeros(size_t count)
{
    void *p = calloc(count + 1, 8);
    if (!p) abort();
    return p;
}

static inline sr_tensor *sr_add(sr_file *f, const char *name, size_t rank, const size_t *dim)
{
    sr_tensor *t = sr_new(f, name, rank, dim);
    t->f64 = (double *)sr_zeros(t->count);
    return t;
}

static inline sr_tensor *sr_add_i64(sr_file *f, const char *name, size_t rank, const size_t *dim)
{
    sr_tensor *t = sr_new(f, name, rank, dim);
    t->i64 = (int64_t *)sr_zeros(t->count);
    return t;
}

/* The header as text; how long it is. */
static inline size_t sr_header(const sr_file *f, char *text, size_t room)
{
    size_t at = (size_t)snprintf(text, room, "{"), begin = 0;
    for (size_t i = 0; i < f->tensors; i++) {
        const sr_tensor *t = &f->t[i];
        at += (size_t)snprintf(text + at, room - at, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", i ? "," : "", t->name,
                               t->i64 ? "I64" : "F64");
        for (size_t j = 0; j < t->rank; j++)
            at += (size_t)snprintf(text + at, room - at, "%s%zu", j ? "," : "", t->dim[j]);
        at += (size_t)snprintf(text + at, room - at, "],\"data_offsets\":[%zu,%zu]}", begin, begin + 8 * t->count);
        begin += 8 * t->count;
    }
    return at + (size_t)snprintf(text + at, room - at, "}");
}

static inline bool sr_write(const char *path, const sr_file *f)
{
    enum { ROOM = SR_TENSORS * 384 };
    char *text = (char *)malloc(ROOM);
    FILE *out = fopen(path, "wb");
    bool good = text && out;
    if (good) {
        const uint64_t n = sr_header(f, text, ROOM);
        good = fwrite(&n, 8, 1, out) == 1 && fwrite(text, 1, n, out) == n;
    }
    for (size_t i = 0; good && i < f->tensors; i++) {
        const void *data = f->t[i].i64 ? (const void *)f->t[i].i64 : (const void *)f->t[i].f64;
        good = fwrite(data, 8, f->t[i].count, out) == f->t[i].count;
    }
    if (out && fclose(out) != 0) good = false;
    free(text);
    return good || sr_fail(path, "cannot be written");
}

static inline void sr_clear(sr_file *f)
{
    for (size_t i = 0; i < f->tensors; i++) {
        free(f->t[i].f64);
        free(f->t[i].i64);
    }
    f->tensors = 0;
}

#endif
