/* .npy (versions 1.0 to 3.0) and .npz as NumPy writes them; the subset is spec/formats.md's.
 *
 * The header of an .npy is the text of a Python dict.  It is a format of its own here, read by the small parser below:
 * three keys, each exactly once, a string, True or False, and a tuple of integers. */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif

#include "npz.h"
#include "tensorfile.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const bool big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;

typedef struct {
    const char *label, *name; /* file and tensor, for errors */
    const unsigned char *at, *end;
    char *err;
    size_t errlen;
} cursor;

enum { FRAME = 12 }; /* magic, version, and the longest length of a header */
enum { HAS_DESCR = 1, HAS_ORDER = 2, HAS_SHAPE = 4 };

typedef struct {
    unsigned seen;
    tensor_dtype dtype;
    bool swap, fortran;
    size_t rank, dim[TENSOR_RANK], count;
} npy_header;

static int bad(const cursor *c, const char *what)
{
    char q[TENSOR_QUOTED];
    return tensor_fail(c->err, c->errlen, "%s: tensor %s: npy header: %s", c->label, tensor_quote(q, c->name), what);
}

/* --- the header's text --- */

static void skip_blanks(cursor *c)
{
    while (c->at < c->end && *c->at == ' ') c->at++;
}

/* Blanks, then this character if it is there. */
static bool take(cursor *c, char wanted)
{
    skip_blanks(c);
    if (c->at >= c->end || *c->at != (unsigned char)wanted) return false;
    c->at++;
    return true;
}

/* Blanks, then this word if it is there. */
static bool take_word(cursor *c, const char *word)
{
    size_t n = strlen(word);
    skip_blanks(c);
    if ((size_t)(c->end - c->at) < n || memcmp(c->at, word, n) != 0) return false;
    c->at += n;
    return true;
}

/* A string in either quotes, without escapes. */
static int take_string(cursor *c, char *out, size_t size)
{
    skip_blanks(c);
    if (c->at >= c->end || (*c->at != '\'' && *c->at != '"')) return -1;
    unsigned char quote = *c->at++;
    size_t n = 0;
    for (; c->at < c->end && *c->at != quote; c->at++) {
        if (*c->at < 0x20 || *c->at > 0x7e || *c->at == '\\' || n + 1 >= size) return -1;
        out[n++] = (char)*c->at;
    }
    if (c->at >= c->end) return -1;
    c->at++;
    out[n] = '\0';
    return 0;
}

static int take_size(cursor *c, size_t *value)
{
    skip_blanks(c);
    if (c->at >= c->end || *c->at < '0' || *c->at > '9') return -1;
    const unsigned char *first = c->at;
    *value = 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
        size_t digit = (size_t)(*c->at - '0');
        if (*value > (SIZE_MAX - digit) / 10) return -1;
        *value = 10 * *value + digit;
    }
    return *first == '0' && c->at - first > 1 ? -1 : 0; /* Python knows no 007 */
}

static int read_descr(cursor *c, npy_header *h)
{
    static const struct {
        const char *code;
        tensor_dtype dtype;
    } codes[] = {{"f8", TENSOR_F64}, {"f4", TENSOR_F32}, {"f2", TENSOR_F16}, {"i8", TENSOR_I64}};
    char text[16] = "", q[TENSOR_QUOTED], v[TENSOR_QUOTED];
    skip_blanks(c);
    if (c->at < c->end && (*c->at == '[' || *c->at == '('))
        return bad(c, "a structured dtype, expected f8, f4, f2 or i8");
    if (take_string(c, text, sizeof text) != 0) return bad(c, "expected a short string after 'descr'");
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (*text != '\0' && strchr("<>=", *text) != NULL && strcmp(text + 1, codes[i].code) == 0) {
            h->dtype = codes[i].dtype;
            h->swap = *text == (big_endian ? '<' : '>'); /* '=' is this machine's own */
            return 0;
        }
    const char *hint = strcmp(text, "|O") == 0 || strcmp(text, "O") == 0 ? " (Python objects are never read)"
                       : strchr(text, 'V') != NULL ? " (bfloat16 has no npy dtype: use safetensors)"
                                                   : "";
    return tensor_fail(c->err, c->errlen,
                       "%s: tensor %s: npy dtype %s is not supported, expected f8, f4, f2 or i8 after < or >%s",
                       c->label, tensor_quote(q, c->name), tensor_quote(v, text), hint);
}

static int read_order(cursor *c, npy_header *h)
{
    h->fortran = take_word(c, "True");
    if (!h->fortran && !take_word(c, "False")) return bad(c, "expected True or False after 'fortran_order'");
    return 0;
}

/* (), (3,) or (3, 4): as in Python, (3) would be a number. */
static int read_shape(cursor *c, npy_header *h)
{
    bool comma = true;
    if (!take(c, '(')) return bad(c, "expected a tuple after 'shape'");
    while (!take(c, ')')) {
        if (h->rank == TENSOR_RANK) return bad(c, "more than 8 dimensions");
        if (!comma || take_size(c, &h->dim[h->rank]) != 0) return bad(c, "expected a tuple of sizes after 'shape'");
        h->rank++;
        comma = take(c, ',');
    }
    if (h->rank == 1 && !comma) return bad(c, "expected a tuple after 'shape', found a number in parentheses");
    if (tensor_count(h->rank, h->dim, &h->count) != 0)
        return bad(c, "the shape has more elements than memory has addresses");
    return 0;
}

static int read_entry(cursor *c, npy_header *h)
{
    char key[16] = "";
    if (take_string(c, key, sizeof key) != 0 || !take(c, ':'))
        return bad(c, "expected 'descr', 'fortran_order' and 'shape'");
    unsigned bit = strcmp(key, "descr") == 0           ? HAS_DESCR
                   : strcmp(key, "fortran_order") == 0 ? HAS_ORDER
                   : strcmp(key, "shape") == 0         ? HAS_SHAPE
                                                       : 0;
    if (bit == 0) return bad(c, "unknown key, expected 'descr', 'fortran_order' and 'shape'");
    if (h->seen & bit) return bad(c, "a key that is there twice");
    h->seen |= bit;
    return bit == HAS_DESCR ? read_descr(c, h) : bit == HAS_ORDER ? read_order(c, h) : read_shape(c, h);
}

static int read_dict(cursor *c, npy_header *h)
{
    bool comma = true;
    if (!take(c, '{')) return bad(c, "expected a dict");
    while (!take(c, '}')) {
        if (!comma) return bad(c, "expected , or }");
        if (read_entry(c, h) != 0) return -1;
        comma = take(c, ',');
    }
    if (h->seen != (HAS_DESCR | HAS_ORDER | HAS_SHAPE)) return bad(c, "expected 'descr', 'fortran_order' and 'shape'");
    if (!take(c, '\n') || c->at != c->end) return bad(c, "expected blanks and a newline after the dict");
    return 0;
}

/* --- .npy --- */

/* Fortran order has the first index fastest; the copy has the last index fastest. */
static void transpose(const npy_header *h, size_t size, const unsigned char *from, unsigned char *to)
{
    size_t index[TENSOR_RANK] = {0}, stride[TENSOR_RANK], at = 0, step = 1;
    for (size_t i = 0; i < h->rank; i++) {
        stride[i] = step;
        step *= h->dim[i];
    }
    for (size_t n = 0; n < h->count; n++) {
        memcpy(to + n * size, from + at * size, size);
        for (size_t i = h->rank; i-- > 0;) {
            at += stride[i];
            if (++index[i] < h->dim[i]) break;
            at -= stride[i] * h->dim[i];
            index[i] = 0;
        }
    }
}

/* The magic, the version and the length of the header, of which the file has n bytes in all; leaves the cursor on the
 * header. */
static int read_frame(cursor *c, size_t n, size_t *length)
{
    char q[TENSOR_QUOTED];
    if (n < 10 || memcmp(c->at, "\x93NUMPY", 6) != 0) return bad(c, "expected the magic of an .npy file");
    unsigned major = c->at[6], minor = c->at[7];
    if (major < 1 || major > 3 || minor != 0)
        return tensor_fail(c->err, c->errlen, "%s: tensor %s: npy version %u.%u, expected 1.0, 2.0 or 3.0", c->label,
                           tensor_quote(q, c->name), major, minor);
    size_t width = major == 1 ? 2 : 4;
    if (n < 8 + width) return bad(c, "truncated");
    *length = 0;
    for (size_t i = width; i-- > 0;) *length = *length << 8 | c->at[8 + i];
    if (*length > n - 8 - width) return bad(c, "truncated");
    c->at += 8 + width;
    return 0;
}

/* The header that the cursor stands on, and whether the n bytes of data after it are what it says. */
static int read_header(cursor *c, size_t length, size_t n, npy_header *h)
{
    char q[TENSOR_QUOTED], shape[TENSOR_SHAPE];
    c->end = c->at + length;
    if (read_dict(c, h) != 0) return -1;
    const size_t expected = h->count * tensor_dtype_size(h->dtype);
    if (n != expected)
        return tensor_fail(c->err, c->errlen, "%s: tensor %s: %zu bytes of data, expected %zu for shape %s of %s",
                           c->label, tensor_quote(q, c->name), n, expected, tensor_shape_text(shape, h->rank, h->dim),
                           tensor_dtype_name(h->dtype));
    return 0;
}

static int parse_npy(const char *label, const char *name, const unsigned char *bytes, size_t n, tensor_file *f,
                     char *err, size_t errlen)
{
    cursor c = {label, name, bytes, bytes + n, err, errlen};
    npy_header h = {.seen = 0};
    size_t length = 0;
    if (read_frame(&c, n, &length) != 0) return -1;
    const unsigned char *data = c.at + length;
    if (read_header(&c, length, (size_t)(bytes + n - data), &h) != 0) return -1;
    if (tensor_file_add(f, name, h.dtype, h.rank, h.dim, data) != 0)
        return tensor_fail(err, errlen, "%s: out of memory", label);
    tensor *t = &f->t[f->tensors - 1];
    const size_t size = tensor_dtype_size(h.dtype);
    if (h.fortran) transpose(&h, size, data, t->data);
    if (h.swap) tensor_swap(t->data, t->count, size);
    return 0;
}

int tensor_layout_npy(const char *label, const char *name, const void *head, size_t have, size_t n, size_t *need,
                      tensor_layout *l, char *err, size_t errlen)
{
    const unsigned char *bytes = head == NULL ? (const unsigned char *)"" : head;
    npy_header h = {.seen = 0};
    size_t length = 0;
    *l = (tensor_layout){0};
    *need = n < FRAME ? n : FRAME;
    if (have < *need) return 0;
    cursor c = {label, name, bytes, bytes + have, err, errlen};
    if (read_frame(&c, n, &length) != 0) return -1;
    *need = (size_t)(c.at - bytes) + length;
    if (have < *need) return 0;
    if (read_header(&c, length, n - *need, &h) != 0) return -1;
    l->t = calloc(1, sizeof *l->t);
    if (l->t != NULL) l->t->name = strdup(name);
    if (l->t == NULL || l->t->name == NULL) {
        tensor_layout_clear(l);
        return tensor_fail(err, errlen, "%s: out of memory", label);
    }
    l->tensors = 1;
    l->t->known = true;
    l->t->dtype = h.dtype;
    snprintf(l->t->dtype_name, sizeof l->t->dtype_name, "%s", tensor_dtype_name(h.dtype));
    l->t->rank = h.rank;
    memcpy(l->t->dim, h.dim, sizeof h.dim);
    l->t->count = h.count;
    l->t->begin = *need;
    l->t->end = n;
    l->t->swap = h.swap;
    l->t->fortran = h.fortran;
    return 0;
}

char *npz_tensor_name(const char *name)
{
    size_t n = strlen(name);
    return strndup(name, n > 4 && strcmp(name + n - 4, ".npy") == 0 ? n - 4 : n);
}

char *tensor_stem(const char *path)
{
    const char *slash = strrchr(path, '/');
    return npz_tensor_name(slash == NULL ? path : slash + 1);
}

int tensor_file_parse_npy(const char *label, const void *bytes, size_t n, tensor_file *f, char *err, size_t errlen)
{
    *f = (tensor_file){0};
    char *name = tensor_stem(label);
    if (name == NULL) return tensor_fail(err, errlen, "%s: out of memory", label);
    int result = parse_npy(label, name, bytes, n, f, err, errlen);
    free(name);
    if (result != 0) tensor_file_clear(f);
    return result;
}

/* --- .npz: a zip archive of .npy files --- */

/* Deflate cannot do better than 258 bytes in 2 bits, 1032 to 1: an entry that says more lies, and one that says a
 * gigabyte is not for us.  Stored entries cannot be larger than the file. */
#define RATIO_LIMIT   1032
#define ENTRY_LIMIT   (UINT64_C(1) << 30)
#define ENTRIES_LIMIT 10000

static int check_entry(const char *label, const zip_stat_t *st, uint64_t *compressed, uint64_t n, uint64_t limit,
                       char *err, size_t errlen)
{
    char q[TENSOR_QUOTED];
    const zip_uint64_t needed = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if ((st->valid & needed) != needed) return tensor_fail(err, errlen, "%s: an entry without a name or a size", label);
    tensor_quote(q, st->name);
    size_t length = strlen(st->name);
    if (length < 5 || strcmp(st->name + length - 4, ".npy") != 0)
        return tensor_fail(err, errlen, "%s: entry %s: expected names that end in .npy", label, q);
    if (st->comp_method != ZIP_CM_STORE && st->comp_method != ZIP_CM_DEFLATE)
        return tensor_fail(err, errlen, "%s: entry %s: compression method %u, expected stored or deflated", label, q,
                           (unsigned)st->comp_method);
    if (st->encryption_method != ZIP_EM_NONE)
        return tensor_fail(err, errlen, "%s: entry %s: is encrypted", label, q);
    if (st->comp_size > n - *compressed)
        return tensor_fail(err, errlen, "%s: entry %s: its %llu bytes and those before it exceed the file's %llu",
                           label, q, (unsigned long long)st->comp_size, (unsigned long long)n);
    *compressed += st->comp_size;
    uint64_t most = st->comp_method == ZIP_CM_STORE       ? st->comp_size
                    : st->comp_size > limit / RATIO_LIMIT ? limit
                                                          : st->comp_size * RATIO_LIMIT;
    if (st->size > most)
        return tensor_fail(err, errlen, "%s: entry %s: says %llu bytes in %llu, expected at most %llu", label, q,
                           (unsigned long long)st->size, (unsigned long long)st->comp_size, (unsigned long long)most);
    return 0;
}

int npz_entry(const char *label, zip_t *archive, zip_uint64_t i, uint64_t *compressed, uint64_t n, uint64_t limit,
              zip_stat_t *st, char *err, size_t errlen)
{
    zip_stat_init(st);
    if (zip_stat_index(archive, i, 0, st) != 0)
        return tensor_fail(err, errlen, "%s: entry %llu: cannot be read: %s", label, (unsigned long long)i,
                           zip_strerror(archive));
    return check_entry(label, st, compressed, n, limit, err, errlen);
}

/* Inflates into memory that grows with what really comes out, not with what was announced. */
static unsigned char *inflate_entry(zip_file_t *file, size_t size)
{
    size_t room = size < 65536 ? size : 65536, got = 0;
    unsigned char *bytes = malloc(room + 1), past;
    while (bytes != NULL) {
        zip_int64_t r = got < room ? zip_fread(file, bytes + got, room - got) : 0;
        if (got < room && r <= 0) break;
        got += (size_t)r;
        if (got == size) {
            if (zip_fread(file, &past, 1) != 0) break; /* the end, where the checksum is compared */
            return bytes;
        }
        if (got == room) {
            room = size - room < room ? size : 2 * room;
            unsigned char *grown = realloc(bytes, room + 1);
            if (grown == NULL) break;
            bytes = grown;
        }
    }
    free(bytes);
    return NULL;
}

static int read_entry_of(const char *label, zip_t *archive, zip_uint64_t i, uint64_t *compressed, uint64_t n,
                         tensor_file *f, char *err, size_t errlen)
{
    char q[TENSOR_QUOTED];
    zip_stat_t st;
    if (npz_entry(label, archive, i, compressed, n, ENTRY_LIMIT, &st, err, errlen) != 0) return -1;
    zip_file_t *file = zip_fopen_index(archive, i, 0);
    unsigned char *bytes = file == NULL ? NULL : inflate_entry(file, (size_t)st.size);
    if (file != NULL) zip_fclose(file);
    if (bytes == NULL)
        return tensor_fail(err, errlen,
                           "%s: entry %s: damaged, or out of memory: expected %llu bytes and their checksum", label,
                           tensor_quote(q, st.name), (unsigned long long)st.size);
    char *name = npz_tensor_name(st.name);
    int result;
    if (name == NULL)
        result = tensor_fail(err, errlen, "%s: out of memory", label);
    else if (tensor_file_find(f, name) != NULL)
        result = tensor_fail(err, errlen, "%s: tensor %s: expected each name once", label, tensor_quote(q, name));
    else
        result = parse_npy(label, name, bytes, (size_t)st.size, f, err, errlen);
    free(name);
    free(bytes);
    return result;
}

zip_t *npz_open(const char *label, zip_source_t *source, zip_error_t *problem, char *err, size_t errlen)
{
    zip_t *archive = source == NULL ? NULL : zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, problem);
    if (archive == NULL) {
        bool twice = zip_error_code_zip(problem) == ZIP_ER_EXISTS;
        tensor_fail(err, errlen, "%s: is no .npz file: %s", label,
                    twice ? "expected each name once" : zip_error_strerror(problem));
        if (source != NULL) zip_source_free(source);
        return NULL;
    }
    zip_int64_t entries = zip_get_num_entries(archive, 0);
    if (entries <= ENTRIES_LIMIT) return archive;
    tensor_fail(err, errlen, "%s: %lld entries, expected at most %d", label, (long long)entries, ENTRIES_LIMIT);
    zip_discard(archive);
    return NULL;
}

int tensor_file_parse_npz(const char *label, const void *bytes, size_t n, tensor_file *f, char *err, size_t errlen)
{
    *f = (tensor_file){0};
    if (n < 22) return tensor_fail(err, errlen, "%s: is no .npz file: %zu bytes, the shortest has 22", label, n);
    zip_error_t problem;
    zip_error_init(&problem);
    zip_t *archive = npz_open(label, zip_source_buffer_create(bytes, n, 0, &problem), &problem, err, errlen);
    zip_error_fini(&problem);
    if (archive == NULL) return -1;
    uint64_t compressed = 0;
    zip_int64_t entries = zip_get_num_entries(archive, 0);
    int result = 0;
    for (zip_int64_t i = 0; i < entries && result == 0; i++)
        result = read_entry_of(label, archive, (zip_uint64_t)i, &compressed, n, f, err, errlen);
    zip_discard(archive);
    if (result != 0) tensor_file_clear(f);
    return result;
}
