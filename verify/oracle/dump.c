/* Dumps: which tensors of which files, and rows out of them (see dump.h). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strverscmp */
#endif

#include "dump.h"

#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "npz.h"
#include "shards.h"

struct dump_source {
    char *path;
    int fd;
    size_t size;
    zip_t *archive; /* of an .npz, else NULL */
    tensor_layout layout;
    zip_uint64_t *entry; /* by tensor, of an .npz */
};

struct dump_stream {
    zip_file_t *file;
    size_t at; /* bytes of the entry that were read */
};

/* An announced size of an entry is believed up to this; a dump is allowed to be large. */
#define ENTRY_LIMIT (UINT64_C(1) << 46)

/* --- bytes out of files ------------------------------------------------------------------------------------------- */

static int read_plain(const dump_source *s, size_t at, size_t n, unsigned char *to, char *err, size_t errlen)
{
    for (size_t got = 0; got < n;) {
        const size_t want = n - got > (1u << 30) ? (1u << 30) : n - got;
        const ssize_t r = pread(s->fd, to + got, want, (off_t)(at + got));
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return tensor_fail(err, errlen, "%s: cannot be read: %s", s->path, strerror(errno));
        if (r == 0)
            return tensor_fail(err, errlen, "%s: changed while it was read: ends at byte %zu, expected %zu", s->path,
                               at + got, s->size);
        got += (size_t)r;
    }
    return 0;
}

static int damaged(const dump_source *s, const char *name, char *err, size_t errlen)
{
    char q[TENSOR_QUOTED];
    return tensor_fail(err, errlen, "%s: tensor %s: damaged: what is inflated is not what was announced", s->path,
                       tensor_quote(q, name));
}

/* The next n bytes of an entry. */
static int inflate(zip_file_t *file, size_t n, unsigned char *to)
{
    for (size_t got = 0; got < n;) {
        const zip_int64_t r = zip_fread(file, to + got, n - got);
        if (r <= 0) return -1;
        got += (size_t)r;
    }
    return 0;
}

/* Brings a stream to byte `at`: from the start if it is beyond it, and by reading if the entry is compressed. */
static int go_to(const dump_source *s, const tensor_place *t, zip_uint64_t entry, dump_stream *stream, size_t at,
                 char *err, size_t errlen)
{
    unsigned char passed[16384];
    if (stream->file != NULL && stream->at > at) {
        zip_fclose(stream->file);
        stream->file = NULL;
    }
    if (stream->file == NULL) {
        stream->file = zip_fopen_index(s->archive, entry, 0);
        stream->at = 0;
        if (stream->file == NULL) return tensor_fail(err, errlen, "%s: %s", s->path, zip_strerror(s->archive));
    }
    while (stream->at < at) {
        const size_t step = at - stream->at < sizeof passed ? at - stream->at : sizeof passed;
        const zip_int64_t r = zip_fread(stream->file, passed, step);
        if (r <= 0) return damaged(s, t->name, err, errlen);
        stream->at += (size_t)r;
    }
    return 0;
}

static int read_entry(const dump_source *s, const tensor_place *t, zip_uint64_t entry, dump_stream *stream, size_t at,
                      size_t n, unsigned char *to, char *err, size_t errlen)
{
    unsigned char past;
    if (go_to(s, t, entry, stream, at, err, errlen) != 0) return -1;
    if (inflate(stream->file, n, to) != 0) return damaged(s, t->name, err, errlen);
    stream->at += n;
    /* the end, where the checksum is compared */
    if (stream->at == t->end && zip_fread(stream->file, &past, 1) != 0) return damaged(s, t->name, err, errlen);
    return 0;
}

/* Elements first .. first+n-1 of a matrix's tensor, as they are in the file. */
static int read_elements(const dump_matrix *m, size_t first, size_t n, unsigned char *to, char *err, size_t errlen)
{
    const dump_source *s = m->source;
    const tensor_place *t = &s->layout.t[m->place];
    const size_t size = tensor_dtype_size(m->dtype), at = t->begin + first * size;
    if (n == 0) return 0;
    return s->archive == NULL ? read_plain(s, at, n * size, to, err, errlen)
                              : read_entry(s, t, s->entry[m->place], m->stream, at, n * size, to, err, errlen);
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

static void convert(tensor_dtype dtype, size_t n, const unsigned char *raw, size_t step, double *x)
{
    const tensor t = {.dtype = dtype, .count = n, .data = (void *)(uintptr_t)raw};
    if (dtype == TENSOR_F64)
        for (size_t k = 0; k < n; k++) x[k * step] = ((const double *)t.data)[k];
    else if (dtype == TENSOR_F32)
        for (size_t k = 0; k < n; k++) x[k * step] = (double)((const float *)t.data)[k];
    else
        for (size_t k = 0; k < n; k++) x[k * step] = tensor_get(&t, k);
}

/* n elements from `first` on, to every step-th of x. */
static int read_run(const dump_matrix *m, size_t first, size_t n, unsigned char *raw, size_t step, double *x, char *err,
                    size_t errlen)
{
    if (read_elements(m, first, n, raw, err, errlen) != 0) return -1;
    if (m->source->layout.t[m->place].swap) tensor_swap(raw, n, tensor_dtype_size(m->dtype));
    convert(m->dtype, n, raw, step, x);
    return 0;
}

static int read_rows(const dump_matrix *m, size_t row, size_t rows, unsigned char *raw, double *x, char *err,
                     size_t errlen)
{
    int result = 0;
    if (m->column == 1 && m->row == m->p)
        return read_run(m, m->start + row * m->row, rows * m->p, raw, 1, x, err, errlen);
    if (m->column == 1)
        for (size_t t = 0; t < rows && result == 0; t++)
            result = read_run(m, m->start + (row + t) * m->row, m->p, raw, 1, x + t * m->p, err, errlen);
    else /* Fortran order: row is 1 */
        for (size_t k = 0; k < m->p && result == 0; k++)
            result = read_run(m, m->start + row + k * m->column, rows, raw, m->p, x + k, err, errlen);
    return result;
}

static int check_finite(const dump_matrix *m, size_t row, size_t rows, const double *x, char *err, size_t errlen)
{
    char q[TENSOR_QUOTED], which[40] = "";
    for (size_t i = 0; i < rows * m->p; i++) {
        if (isfinite(x[i])) continue;
        if (m->indexed) snprintf(which, sizeof which, " [%zu]", m->index);
        return tensor_fail(err, errlen, "%s: tensor %s%s: row %zu, column %zu is %s, expected a finite number", m->path,
                           tensor_quote(q, m->tensor), which, row + i / m->p, i % m->p,
                           isnan(x[i])  ? "NaN"
                           : x[i] > 0.0 ? "+inf"
                                        : "-inf");
    }
    return 0;
}

int dump_read(dump *d, size_t i, size_t row, size_t rows, double *x, char *err, size_t errlen)
{
    const dump_matrix *m = &d->matrix[i];
    unsigned char *raw = malloc(rows * m->p * tensor_dtype_size(m->dtype) + 1);
    if (raw == NULL) return tensor_fail(err, errlen, "%s: out of memory for %zu rows", m->path, rows);
    int result = read_rows(m, row, rows, raw, x, err, errlen);
    free(raw);
    return result == 0 ? check_finite(m, row, rows, x, err, errlen) : result;
}

/* --- opening a file ----------------------------------------------------------------------------------------------- */

/* More of a file's, or an entry's, first bytes. */
typedef int more_bytes(void *from, size_t have, size_t need, unsigned char *to, char *err, size_t errlen);
typedef int layout_of(const char *label, const char *name, const void *head, size_t have, size_t n, size_t *need,
                      tensor_layout *l, char *err, size_t errlen);

static int layout_safetensors(const char *label, const char *name, const void *head, size_t have, size_t n,
                              size_t *need, tensor_layout *l, char *err, size_t errlen)
{
    (void)name;
    return tensor_layout_safetensors(label, head, have, n, need, l, err, errlen);
}

/* Reads as much of the beginning as the layout needs, in steps that grow with what there is. */
static int read_head(const char *label, const char *name, size_t n, layout_of *layout, more_bytes *more, void *from,
                     tensor_layout *l, char *err, size_t errlen)
{
    unsigned char *head = NULL;
    size_t have = 0, need = 0;
    int result = 0;
    for (;;) {
        result = layout(label, name, head, have, n, &need, l, err, errlen);
        if (result != 0 || need <= have) break;
        unsigned char *grown = realloc(head, need);
        if (grown == NULL) {
            result = tensor_fail(err, errlen, "%s: out of memory for a header of %zu bytes", label, need);
            break;
        }
        head = grown;
        result = more(from, have, need, head, err, errlen);
        if (result != 0) break;
        have = need;
    }
    free(head);
    return result;
}

static int more_plain(void *from, size_t have, size_t need, unsigned char *to, char *err, size_t errlen)
{
    return read_plain(from, have, need - have, to + have, err, errlen);
}

typedef struct {
    const dump_source *source;
    const char *name;
    zip_file_t *file;
} entry_head;

static int more_inflated(void *from, size_t have, size_t need, unsigned char *to, char *err, size_t errlen)
{
    const entry_head *e = from;
    if (inflate(e->file, need - have, to + have) != 0) return damaged(e->source, e->name, err, errlen);
    return 0;
}

/* The first pattern that a name has, or `patterns`. */
static size_t pattern_of(const dump_choice *c, const char *name)
{
    size_t i = 0;
    while (i < c->patterns && strcmp(c->pattern[i], name) != 0 && fnmatch(c->pattern[i], name, 0) != 0) i++;
    return i;
}

static bool wanted(const dump_choice *c, const char *name, size_t *pattern)
{
    *pattern = pattern_of(c, name);
    return c->patterns == 0 || *pattern < c->patterns;
}

/* Adds the tensor of an entry to the source's layout. */
static int add_entry(dump_source *s, zip_uint64_t i, const char *name, size_t size, char *err, size_t errlen)
{
    entry_head head = {s, name, zip_fopen_index(s->archive, i, 0)};
    tensor_layout l;
    if (head.file == NULL) return tensor_fail(err, errlen, "%s: %s", s->path, zip_strerror(s->archive));
    int result = read_head(s->path, name, size, tensor_layout_npy, more_inflated, &head, &l, err, errlen);
    zip_fclose(head.file);
    if (result != 0) return -1;
    s->layout.t[s->layout.tensors] = l.t[0];
    s->entry[s->layout.tensors++] = i;
    free(l.t); /* the name moved with the place */
    return 0;
}

static int open_entries(dump_source *s, const dump_choice *c, char *err, size_t errlen)
{
    const zip_int64_t entries = zip_get_num_entries(s->archive, 0);
    uint64_t compressed = 0;
    size_t pattern;
    zip_stat_t st;
    int result = 0;
    s->layout.t = calloc((size_t)entries + 1, sizeof *s->layout.t);
    s->entry = calloc((size_t)entries + 1, sizeof *s->entry);
    if (s->layout.t == NULL || s->entry == NULL) return tensor_fail(err, errlen, "%s: out of memory", s->path);
    for (zip_int64_t i = 0; i < entries && result == 0; i++) {
        if (npz_entry(s->path, s->archive, (zip_uint64_t)i, &compressed, s->size, ENTRY_LIMIT, &st, err, errlen) != 0)
            return -1;
        char *name = npz_tensor_name(st.name);
        if (name == NULL) return tensor_fail(err, errlen, "%s: out of memory", s->path);
        if (wanted(c, name, &pattern)) result = add_entry(s, (zip_uint64_t)i, name, (size_t)st.size, err, errlen);
        free(name);
    }
    return result;
}

static int open_archive(dump_source *s, const dump_choice *c, char *err, size_t errlen)
{
    zip_error_t problem;
    zip_error_init(&problem);
    s->archive = npz_open(s->path, zip_source_file_create(s->path, 0, -1, &problem), &problem, err, errlen);
    zip_error_fini(&problem);
    return s->archive == NULL ? -1 : open_entries(s, c, err, errlen);
}

static int open_contents(dump_source *s, const dump_choice *c, char *err, size_t errlen)
{
    unsigned char head[9];
    const size_t have = s->size < sizeof head ? s->size : sizeof head;
    if (s->size == 0)
        return tensor_fail(err, errlen, "%s: is empty, expected a safetensors, .npy or .npz file", s->path);
    if (read_plain(s, 0, have, head, err, errlen) != 0) return -1;
    const tensor_format format = tensor_format_of(head, have);
    if (format == TENSOR_NPZ) return open_archive(s, c, err, errlen);
    if (format == TENSOR_SAFETENSORS)
        return read_head(s->path, NULL, s->size, layout_safetensors, more_plain, s, &s->layout, err, errlen);
    char *name = tensor_stem(s->path);
    if (name == NULL) return tensor_fail(err, errlen, "%s: out of memory", s->path);
    int result = read_head(s->path, name, s->size, tensor_layout_npy, more_plain, s, &s->layout, err, errlen);
    free(name);
    return result;
}

static void close_source(dump_source *s)
{
    if (s->archive != NULL) zip_discard(s->archive);
    if (s->fd >= 0) close(s->fd);
    tensor_layout_clear(&s->layout);
    free(s->entry);
    free(s->path);
    free(s);
}

static int open_source(dump *d, const char *path, const dump_choice *c, char *err, size_t errlen)
{
    dump_source *s = calloc(1, sizeof *s);
    if (s == NULL) return tensor_fail(err, errlen, "%s: out of memory", path);
    d->source[d->sources++] = s;
    s->fd = -1;
    s->path = strdup(path);
    if (s->path == NULL) return tensor_fail(err, errlen, "%s: out of memory", path);
    s->fd = regular_file_open(path, &s->size, err, errlen);
    return s->fd < 0 ? -1 : open_contents(s, c, err, errlen);
}

/* --- which matrices ----------------------------------------------------------------------------------------------- */

/* Why a tensor cannot be taken, as what was expected; NULL if it can. */
static const char *unsuitable(const tensor_place *t, const dump_choice *c)
{
    const bool integer = t->known && t->dtype == TENSOR_I64;
    if (c->integers) {
        if (!integer) return "I64, the experts of each sample";
        if (t->rank != 1 && t->rank != 2) return "[n] or [n,K], the experts of each sample";
    } else {
        if (!t->known || integer) return "F64, F32, BF16 or F16";
        if (t->rank != 2 && t->rank != 3)
            return c->second ? "[n,p] or [n,N,p], samples by features" : "[n,p] or [N,n,p], samples by features";
    }
    if (t->fortran && t->rank == 3) return "C order for three dimensions";
    return NULL;
}

static int refuse(const dump_source *s, const tensor_place *t, const char *expected, char *err, size_t errlen)
{
    char q[TENSOR_QUOTED], dtype[TENSOR_QUOTED], shape[TENSOR_SHAPE];
    tensor_quote(dtype, t->dtype_name);
    return tensor_fail(err, errlen, "%s: tensor %s: dtype %.*s, shape %s, expected %s", s->path,
                       tensor_quote(q, t->name), (int)strlen(dtype) - 2, dtype + 1,
                       tensor_shape_text(shape, t->rank, t->dim), expected);
}

static int leave_out(dump *d, const tensor_place *t)
{
    char q[TENSOR_QUOTED], dtype[TENSOR_QUOTED], shape[TENSOR_SHAPE], *text = NULL;
    char **grown = realloc(d->left, (d->left_out + 1) * sizeof *d->left);
    if (grown == NULL) return -1;
    d->left = grown;
    tensor_quote(dtype, t->dtype_name);
    if (asprintf(&text, "%s (%.*s %s)", tensor_quote(q, t->name), (int)strlen(dtype) - 2, dtype + 1,
                 tensor_shape_text(shape, t->rank, t->dim)) < 0)
        return -1;
    d->left[d->left_out++] = text;
    return 0;
}

static int add_matrix(dump *d, const dump_matrix *m, char *err, size_t errlen)
{
    if (d->matrices == DUMP_MATRICES)
        return tensor_fail(err, errlen, "%s: more than %d representations, expected fewer: choose with --tensor",
                           m->path, (int)DUMP_MATRICES);
    dump_matrix *to = &d->matrix[d->matrices++];
    *to = *m;
    to->stream = calloc(1, sizeof *to->stream);
    return to->stream == NULL ? tensor_fail(err, errlen, "%s: out of memory", m->path) : 0;
}

/* The matrices of a tensor. */
static int add_tensor(dump *d, dump_source *s, size_t place, const dump_choice *c, char *err, size_t errlen)
{
    const tensor_place *t = &s->layout.t[place];
    dump_matrix m = {.path = s->path, .tensor = t->name, .dtype = t->dtype, .source = s, .place = place, .column = 1};
    if (t->count == 0) return refuse(s, t, "at least one sample and one feature", err, errlen);
    if (t->rank < 3) {
        m.n = t->dim[0];
        m.p = t->rank == 1 ? 1 : t->dim[1];
        m.row = t->fortran ? 1 : m.p;
        m.column = t->fortran ? m.n : 1;
        if (m.p == 1) m.row = m.column = 1;
        return add_matrix(d, &m, err, errlen);
    }
    const size_t N = t->dim[c->second ? 1 : 0];
    m.n = t->dim[c->second ? 0 : 1];
    m.p = t->dim[2];
    m.row = c->second ? N * m.p : m.p;
    m.indexed = true;
    int result = 0;
    for (size_t e = 0; e < N && result == 0; e++) {
        m.index = e;
        m.start = c->second ? e * m.p : e * m.n * m.p;
        result = add_matrix(d, &m, err, errlen);
    }
    return result;
}

typedef struct {
    dump_source *source;
    size_t place, pattern;
    const char *name;
} candidate;

static int by_pattern_and_name(const void *a, const void *b)
{
    const candidate *s = a, *t = b;
    if (s->pattern != t->pattern) return s->pattern < t->pattern ? -1 : 1;
    return strverscmp(s->name, t->name);
}

/* The matrices of a file, or of all shards of one: the sources from number `first` on. */
static int add_sources(dump *d, size_t first, const dump_choice *c, bool *used, char *err, size_t errlen)
{
    size_t n = 0, tensors = 0, pattern;
    for (size_t k = first; k < d->sources; k++) tensors += d->source[k]->layout.tensors;
    candidate *found = calloc(tensors + 1, sizeof *found);
    if (found == NULL) return tensor_fail(err, errlen, "%s: out of memory", d->source[first]->path);
    for (size_t k = first; k < d->sources; k++) {
        const tensor_layout *l = &d->source[k]->layout;
        for (size_t i = 0; i < l->tensors; i++)
            if (wanted(c, l->t[i].name, &pattern)) found[n++] = (candidate){d->source[k], i, pattern, l->t[i].name};
    }
    qsort(found, n, sizeof *found, by_pattern_and_name);
    int result = 0;
    for (size_t i = 0; i < n && result == 0; i++) {
        dump_source *s = found[i].source;
        const tensor_place *t = &s->layout.t[found[i].place];
        const char *expected = unsuitable(t, c);
        const bool named = c->patterns > 0 && strcmp(c->pattern[found[i].pattern], t->name) == 0;
        if (c->patterns > 0) used[found[i].pattern] = true;
        if (expected == NULL)
            result = add_tensor(d, s, found[i].place, c, err, errlen);
        else if (named)
            result = refuse(s, t, expected, err, errlen);
        else if (leave_out(d, t) != 0)
            result = tensor_fail(err, errlen, "%s: out of memory", s->path);
    }
    free(found);
    return result;
}

static int check_used(const dump *d, const dump_choice *c, const bool *used, char *err, size_t errlen)
{
    char q[TENSOR_QUOTED];
    const char *more = d->sources > 1 ? " and the files after it" : "";
    for (size_t i = 0; i < c->patterns; i++)
        if (!used[i])
            return tensor_fail(err, errlen, "%s%s: no tensor %s", d->source[0]->path, more,
                               tensor_quote(q, c->pattern[i]));
    if (d->matrices > 0) return 0;
    return tensor_fail(err, errlen, "%s%s: no tensor is %s%s%.200s", d->source[0]->path, more,
                       c->integers ? "a routing, I64 [n] or [n,K]" : "samples by features in F64, F32, BF16 or F16",
                       d->left_out ? "; found " : "", d->left_out ? d->left[0] : "");
}

/* --- what they are called ----------------------------------------------------------------------------------------- */

static bool same_name_elsewhere(const dump *d, size_t i)
{
    for (size_t j = 0; j < d->matrices; j++)
        if (d->matrix[j].source != d->matrix[i].source && strcmp(d->matrix[j].tensor, d->matrix[i].tensor) == 0)
            return true;
    return false;
}

static int name_matrices(dump *d, char *err, size_t errlen)
{
    for (size_t i = 0; i < d->matrices; i++) {
        dump_matrix *m = &d->matrix[i];
        const bool twice = same_name_elsewhere(d, i);
        char which[40] = "";
        if (m->indexed) snprintf(which, sizeof which, "[%zu]", m->index);
        if (asprintf(&m->label, "%s%s%s%s", twice ? m->path : "", twice ? ":" : "", m->tensor, which) < 0) {
            m->label = NULL;
            return tensor_fail(err, errlen, "%s: out of memory", m->path);
        }
    }
    return 0;
}

/* Opens all shards of an index. */
static int open_shards(dump *d, const char *path, const dump_choice *c, char *err, size_t errlen)
{
    char q[TENSOR_QUOTED];
    shard_index x;
    if (shards_read(path, &x, err, errlen) != 0) return -1;
    dump_source **grown = realloc(d->source, (d->sources + x.shards + 1) * sizeof *grown);
    int result = grown ? 0 : tensor_fail(err, errlen, "%s: out of memory", path);
    if (grown) d->source = grown;
    for (size_t i = 0; i < x.shards && result == 0; i++) {
        result = open_source(d, x.shard[i], c, err, errlen);
        if (result != 0) break;
        const tensor_layout *l = &d->source[d->sources - 1]->layout;
        for (size_t k = 0; k < l->tensors && result == 0; k++)
            if (!shards_has(&x, i, l->t[k].name))
                result = tensor_fail(err, errlen, "%s: tensor %s is not where %.150s says", x.shard[i],
                                     tensor_quote(q, l->t[k].name), path);
        if (result == 0 && l->tensors != shards_count(&x, i))
            result = tensor_fail(err, errlen, "%s: %zu tensors, expected %zu by %.150s", x.shard[i], l->tensors,
                                 shards_count(&x, i), path);
    }
    shards_clear(&x);
    return result;
}

static int open_file(dump *d, const char *path, const dump_choice *c, char *err, size_t errlen)
{
    if (shards_named(path)) return open_shards(d, path, c, err, errlen);
    dump_source **grown = realloc(d->source, (d->sources + 1) * sizeof *grown);
    if (grown == NULL) return tensor_fail(err, errlen, "%s: out of memory", path);
    d->source = grown;
    return open_source(d, path, c, err, errlen);
}

int dump_open(dump *d, size_t files, const char *const *path, const dump_choice *choice, char *err, size_t errlen)
{
    *d = (dump){0};
    d->matrix = calloc(DUMP_MATRICES, sizeof *d->matrix);
    bool *used = calloc(choice->patterns + 1, sizeof *used);
    int result = d->matrix && used ? 0 : tensor_fail(err, errlen, "%s: out of memory", path[0]);
    for (size_t i = 0; i < files && result == 0; i++) {
        const size_t first = d->sources;
        result = open_file(d, path[i], choice, err, errlen);
        if (result == 0) result = add_sources(d, first, choice, used, err, errlen);
    }
    if (result == 0) result = check_used(d, choice, used, err, errlen);
    if (result == 0) result = name_matrices(d, err, errlen);
    free(used);
    if (result != 0) dump_close(d);
    return result;
}

void dump_close(dump *d)
{
    for (size_t i = 0; i < d->matrices; i++) {
        dump_stream *stream = d->matrix[i].stream;
        if (stream != NULL && stream->file != NULL) zip_fclose(stream->file);
        free(stream);
        free(d->matrix[i].label);
    }
    for (size_t i = 0; i < d->sources; i++) close_source(d->source[i]);
    for (size_t i = 0; i < d->left_out; i++) free(d->left[i]);
    free(d->matrix);
    free(d->source);
    free(d->left);
    *d = (dump){0};
}
