/* Tensors in memory, whole files, and the choice of a reader by a file's content. */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif

#include "tensorfile.h"

#include "shards.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <nettle/sha2.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- errors --- */

int tensor_fail(char *err, size_t errlen, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (err != NULL && errlen > 0) vsnprintf(err, errlen, format, args);
    va_end(args);
    return -1;
}

const char *tensor_quote(char out[TENSOR_QUOTED], const char *name)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *s = (const unsigned char *)name;
    size_t n = 0;
    out[n++] = '"';
    /* 9 bytes are kept free: an escape of 4, "..." , the closing quote and NUL */
    for (; *s != '\0' && n + 9 <= TENSOR_QUOTED; s++) {
        if (*s >= 0x20 && *s < 0x7f && *s != '"' && *s != '\\') {
            out[n++] = (char)*s;
        } else {
            out[n++] = '\\';
            out[n++] = 'x';
            out[n++] = digits[*s >> 4];
            out[n++] = digits[*s & 15];
        }
    }
    if (*s != '\0')
        for (int i = 0; i < 3; i++) out[n++] = '.';
    out[n++] = '"';
    out[n] = '\0';
    return out;
}

/* --- dtypes --- */

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {
    [TENSOR_F64] = {"F64", 8}, [TENSOR_F32] = {"F32", 4}, [TENSOR_BF16] = {"BF16", 2},
    [TENSOR_F16] = {"F16", 2}, [TENSOR_I64] = {"I64", 8},
};

const char *tensor_dtype_name(tensor_dtype t) { return dtypes[t].name; }

size_t tensor_dtype_size(tensor_dtype t) { return dtypes[t].size; }

int tensor_count(size_t rank, const size_t *dim, size_t *count)
{
    size_t product = 1;
    bool empty = false;
    for (size_t i = 0; i < rank; i++) {
        if (dim[i] == 0) {
            empty = true;
        } else {
            if (product > (size_t)PTRDIFF_MAX / 8 / dim[i]) return -1;
            product *= dim[i];
        }
    }
    *count = empty ? 0 : product;
    return 0;
}

const char *tensor_shape_text(char out[TENSOR_SHAPE], size_t rank, const size_t *dim)
{
    size_t n = 0;
    out[n++] = '[';
    for (size_t i = 0; i < rank; i++) n += (size_t)snprintf(out + n, TENSOR_SHAPE - n, "%s%zu", i ? "," : "", dim[i]);
    out[n++] = ']';
    out[n] = '\0';
    return out;
}

void tensor_swap(void *bytes, size_t count, size_t size)
{
    unsigned char *e = bytes;
    for (size_t i = 0; i < count; i++, e += size)
        for (size_t a = 0, b = size - 1; a < b; a++, b--) {
            unsigned char c = e[a];
            e[a] = e[b];
            e[b] = c;
        }
}

static double half_to_double(uint16_t h)
{
    double sign = (h & 0x8000u) ? -1.0 : 1.0;
    int exponent = (h >> 10) & 31, fraction = h & 1023;
    if (exponent == 31) return fraction ? copysign(NAN, sign) : sign * INFINITY;
    if (exponent == 0) return sign * ldexp(fraction, -24);
    return sign * ldexp(1024 + fraction, exponent - 25);
}

static double bfloat16_to_double(uint16_t b)
{
    uint32_t bits = (uint32_t)b << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return (double)f;
}

double tensor_get(const tensor *t, size_t i)
{
    switch (t->dtype) {
    case TENSOR_F64:
        return ((const double *)t->data)[i];
    case TENSOR_F32:
        return (double)((const float *)t->data)[i];
    case TENSOR_BF16:
        return bfloat16_to_double(((const uint16_t *)t->data)[i]);
    case TENSOR_F16:
        return half_to_double(((const uint16_t *)t->data)[i]);
    case TENSOR_I64:
        break;
    }
    return (double)((const int64_t *)t->data)[i];
}

enum { CHUNK = 256 }; /* elements at a time: a number that the compiler knows makes loops that it can vectorise */

static void widen_floats(const float *x, double *restrict to)
{
    for (size_t i = 0; i < CHUNK; i++) to[i] = (double)x[i];
}

static void widen_bfloats(const uint16_t *x, double *restrict to)
{
    uint32_t bits[CHUNK];
    float f[CHUNK];
    for (size_t i = 0; i < CHUNK; i++) bits[i] = (uint32_t)x[i] << 16;
    memcpy(f, bits, sizeof f);
    widen_floats(f, to);
}

/* binary16: as a float whose exponent is too small by 112, which a product with 2^112 mends, subnormals included; infinities
 * and NaNs get the exponent of their kind. */
static void widen_halves(const uint16_t *x, double *restrict to)
{
    uint32_t bits[CHUNK], special[CHUNK];
    float f[CHUNK];
    for (size_t i = 0; i < CHUNK; i++) {
        const uint32_t magnitude = x[i] & 0x7fffu;
        bits[i] = magnitude << 13;
        special[i] = magnitude >= 0x7c00u ? 0x7f800000u : 0;
    }
    memcpy(f, bits, sizeof f);
    for (size_t i = 0; i < CHUNK; i++) f[i] *= 0x1p112f;
    memcpy(bits, f, sizeof f);
    for (size_t i = 0; i < CHUNK; i++) bits[i] |= special[i] | (uint32_t)(x[i] & 0x8000u) << 16;
    memcpy(f, bits, sizeof f);
    widen_floats(f, to);
}

void tensor_widen(tensor_dtype dtype, size_t n, const void *from, double *to)
{
    const unsigned char *bytes = from;
    const size_t size = tensor_dtype_size(dtype);
    for (size_t i = 0; i < n; i += CHUNK) {
        const size_t m = n - i < CHUNK ? n - i : CHUNK;
        union {
            double d[CHUNK];
            float f[CHUNK];
            uint16_t h[CHUNK];
            int64_t k[CHUNK];
        } x = {{0}};
        double wide[CHUNK];
        memcpy(&x, bytes + i * size, m * size); /* before `to` grows over it */
        switch (dtype) {
        case TENSOR_F64:
            memcpy(wide, x.d, sizeof wide);
            break;
        case TENSOR_F32:
            widen_floats(x.f, wide);
            break;
        case TENSOR_BF16:
            widen_bfloats(x.h, wide);
            break;
        case TENSOR_F16:
            widen_halves(x.h, wide);
            break;
        case TENSOR_I64:
            for (size_t j = 0; j < m; j++) wide[j] = (double)x.k[j];
            break;
        }
        memcpy(to + i, wide, m * sizeof *to);
    }
}

/* --- a file in memory --- */

const tensor *tensor_file_find(const tensor_file *f, const char *name)
{
    for (size_t i = 0; i < f->tensors; i++)
        if (strcmp(f->t[i].name, name) == 0) return &f->t[i];
    return NULL;
}

const char *tensor_file_meta(const tensor_file *f, const char *key)
{
    for (size_t i = 0; i < f->entries; i++)
        if (strcmp(f->entry[i].key, key) == 0) return f->entry[i].value;
    return NULL;
}

/* Makes room for one more element in an array that grows at each power of two. */
static void *one_more(void *array, size_t used, size_t size)
{
    if (used & (used - 1)) return array;
    return realloc(array, (used ? 2 * used : 1) * size);
}

int tensor_file_add(tensor_file *f, const char *name, tensor_dtype dtype, size_t rank, const size_t *dim,
                    const void *data)
{
    size_t count;
    if (rank > TENSOR_RANK || tensor_count(rank, dim, &count) != 0) return -1;
    tensor *grown = one_more(f->t, f->tensors, sizeof *f->t);
    if (grown == NULL) return -1;
    f->t = grown;

    tensor *t = &f->t[f->tensors];
    *t = (tensor){.dtype = dtype, .rank = rank, .count = count};
    for (size_t i = 0; i < rank; i++) t->dim[i] = dim[i];
    size_t bytes = count * tensor_dtype_size(dtype);
    t->name = strdup(name);
    t->data = malloc(bytes ? bytes : 1);
    if (t->name == NULL || t->data == NULL) {
        free(t->name);
        free(t->data);
        return -1;
    }
    if (bytes) memcpy(t->data, data, bytes);
    f->tensors++;
    return 0;
}

int tensor_file_add_meta(tensor_file *f, const char *key, const char *value)
{
    void *grown = one_more(f->entry, f->entries, sizeof *f->entry);
    if (grown == NULL) return -1;
    f->entry = grown;
    char *k = strdup(key), *v = strdup(value);
    if (k == NULL || v == NULL) {
        free(k);
        free(v);
        return -1;
    }
    f->entry[f->entries].key = k;
    f->entry[f->entries].value = v;
    f->entries++;
    return 0;
}

void tensor_file_clear(tensor_file *f)
{
    for (size_t i = 0; i < f->tensors; i++) {
        free(f->t[i].name);
        free(f->t[i].data);
    }
    for (size_t i = 0; i < f->entries; i++) {
        free(f->entry[i].key);
        free(f->entry[i].value);
    }
    free(f->t);
    free(f->entry);
    *f = (tensor_file){0};
}

void tensor_layout_clear(tensor_layout *l)
{
    for (size_t i = 0; i < l->tensors; i++) free(l->t[i].name);
    free(l->t);
    *l = (tensor_layout){0};
}

/* --- whole files: reading --- */

/* O_NONBLOCK so that a pipe without a writer is refused instead of waited for. */
int regular_file_open(const char *path, size_t *n, char *err, size_t errlen)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return tensor_fail(err, errlen, "%s: cannot be opened: %s", path, strerror(errno));
    if (fstat(fd, &st) != 0) {
        tensor_fail(err, errlen, "%s: cannot be examined: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        tensor_fail(err, errlen, "%s: is %s, expected a regular file", path,
                    S_ISDIR(st.st_mode) ? "a directory" : "a pipe or a device");
    } else if (st.st_size < 0 || (uintmax_t)st.st_size > (uintmax_t)PTRDIFF_MAX - 1) {
        tensor_fail(err, errlen, "%s: is too large to be read", path);
    } else {
        *n = (size_t)st.st_size;
        return fd;
    }
    close(fd);
    return -1;
}

/* Reads up to n bytes, fewer only at the end of the file.  -1 on an error, with errno. */
static ssize_t read_fully(int fd, unsigned char *to, size_t n)
{
    size_t got = 0;
    while (got < n) {
        size_t want = n - got > (1u << 30) ? (1u << 30) : n - got;
        ssize_t r = read(fd, to + got, want);
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return -1;
        if (r == 0) break;
        got += (size_t)r;
    }
    return (ssize_t)got;
}

int whole_file_read(const char *path, unsigned char **bytes, size_t *n, char *err, size_t errlen)
{
    size_t size = 0;
    int fd = regular_file_open(path, &size, err, errlen);
    if (fd < 0) return -1;
    unsigned char *buffer = malloc(size + 1);
    if (buffer == NULL) {
        close(fd);
        return tensor_fail(err, errlen, "%s: out of memory for its %zu bytes", path, size);
    }
    ssize_t got = read_fully(fd, buffer, size);
    int reason = errno;
    close(fd);
    if (got < 0 || (size_t)got != size) {
        free(buffer);
        if (got < 0) return tensor_fail(err, errlen, "%s: cannot be read: %s", path, strerror(reason));
        return tensor_fail(err, errlen, "%s: changed while it was read: expected %zu bytes, found %zu", path, size,
                           (size_t)got);
    }
    buffer[size] = '\0';
    *bytes = buffer;
    *n = size;
    return 0;
}

int tensor_file_sha256(const char *path, char hex[65], char *err, size_t errlen)
{
    size_t size = 0;
    int fd = regular_file_open(path, &size, err, errlen);
    if (fd < 0) return -1;
    struct sha256_ctx context;
    unsigned char block[65536], digest[SHA256_DIGEST_SIZE];
    size_t all = 0;
    ssize_t got;
    sha256_init(&context);
    while ((got = read_fully(fd, block, sizeof block)) > 0) {
        sha256_update(&context, (size_t)got, block);
        all += (size_t)got;
    }
    int reason = errno;
    close(fd);
    if (got < 0) return tensor_fail(err, errlen, "%s: cannot be read: %s", path, strerror(reason));
    if (all != size)
        return tensor_fail(err, errlen, "%s: changed while it was read: expected %zu bytes, found %zu", path, size, all);
    sha256_digest(&context, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return 0;
}

/* --- whole files: writing --- */

static int write_parts(int fd, size_t parts, const file_part *part)
{
    for (size_t i = 0; i < parts; i++) {
        const unsigned char *from = part[i].bytes;
        size_t left = part[i].n;
        while (left > 0) {
            ssize_t w = write(fd, from, left > (1u << 30) ? (1u << 30) : left);
            if (w < 0 && errno == EINTR) continue;
            if (w < 0) return -1;
            from += w;
            left -= (size_t)w;
        }
    }
    return 0;
}

static int write_device(const char *path, size_t parts, const file_part *part, char *err, size_t errlen)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write_parts(fd, parts, part) != 0) {
        tensor_fail(err, errlen, "%s: cannot be written: %s", path, strerror(errno));
        if (fd >= 0) close(fd);
        return -1;
    }
    if (close(fd) != 0) return tensor_fail(err, errlen, "%s: cannot be written: %s", path, strerror(errno));
    return 0;
}

/* A new file in the folder of `target`, with the permissions that the user's umask gives.  The name goes to temp. */
static int open_temporary(const char *target, char *temp, size_t size)
{
    const char *slash = strrchr(target, '/');
    int folder = slash == NULL ? 0 : (int)(slash - target + 1);
    for (unsigned attempt = 0; attempt < 1000; attempt++) {
        snprintf(temp, size, "%.*s.smoeref-%ld-%u.tmp", folder, target, (long)getpid(), attempt);
        int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}

static int write_and_rename(const char *target, char *temp, size_t size, size_t parts, const file_part *part)
{
    int fd = open_temporary(target, temp, size);
    if (fd < 0) return -1;
    bool bad = write_parts(fd, parts, part) != 0 || fsync(fd) != 0;
    int reason = errno;
    if (close(fd) != 0 && !bad) {
        bad = true;
        reason = errno;
    }
    if (!bad && rename(temp, target) != 0) {
        bad = true;
        reason = errno;
    }
    if (bad) {
        unlink(temp);
        errno = reason;
    }
    return bad ? -1 : 0;
}

int whole_file_write(const char *path, size_t parts, const file_part *part, char *err, size_t errlen)
{
    struct stat st;
    char *target = NULL;
    if (stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            return tensor_fail(err, errlen, "%s: cannot be written: is a directory, expected a file", path);
        if (!S_ISREG(st.st_mode)) return write_device(path, parts, part, err, errlen);
        target = realpath(path, NULL); /* through a symbolic link: what it points to is replaced, not the link */
    }
    if (target == NULL) target = strdup(path);
    size_t size = target == NULL ? 0 : strlen(target) + 64;
    char *temp = target == NULL ? NULL : malloc(size);
    int result;
    if (temp == NULL)
        result = tensor_fail(err, errlen, "%s: cannot be written: out of memory", path);
    else if (write_and_rename(target, temp, size, parts, part) != 0)
        result = tensor_fail(err, errlen, "%s: cannot be written: %s", path, strerror(errno));
    else
        result = 0;
    free(temp);
    free(target);
    return result;
}

/* --- by content --- */

tensor_format tensor_format_of(const void *head, size_t n)
{
    const unsigned char *bytes = head;
    /* A safetensors header of 0x04034b50 bytes begins like a zip file, but a zip file has no '{' as its ninth byte:
     * that is its method of compression, and 0x7b is none.  The magic of npy is no header length below the limit. */
    bool zip = n >= 4 && (memcmp(bytes, "PK\3\4", 4) == 0 || memcmp(bytes, "PK\5\6", 4) == 0);
    if (n >= 6 && memcmp(bytes, "\x93NUMPY", 6) == 0) return TENSOR_NPY;
    return zip && !(n > 8 && bytes[8] == '{') ? TENSOR_NPZ : TENSOR_SAFETENSORS;
}

/* Moves the tensors of one shard to f. */
static int take_shard(const shard_index *x, size_t shard, tensor_file *f, char *err, size_t errlen)
{
    char q[TENSOR_QUOTED];
    const char *path = x->shard[shard];
    tensor_file part;
    if (tensor_file_read(path, &part, err, errlen) != 0) return -1;
    int result = 0;
    for (size_t i = 0; i < part.tensors && result == 0; i++)
        if (!shards_has(x, shard, part.t[i].name))
            result = tensor_fail(err, errlen, "%s: tensor %s is not where %.150s says", path,
                                 tensor_quote(q, part.t[i].name), x->path);
    if (result == 0 && part.tensors != shards_count(x, shard))
        result = tensor_fail(err, errlen, "%s: %zu tensors, expected %zu by %.150s", path, part.tensors,
                             shards_count(x, shard), x->path);
    tensor *grown = result == 0 ? realloc(f->t, (f->tensors + part.tensors + 1) * sizeof *grown) : NULL;
    if (result == 0 && grown == NULL) result = tensor_fail(err, errlen, "%s: out of memory", path);
    if (grown != NULL) {
        f->t = grown;
        for (size_t i = 0; i < part.tensors; i++) f->t[f->tensors++] = part.t[i];
        part.tensors = 0;
    }
    tensor_file_clear(&part);
    return result;
}

static int read_shards(const char *path, tensor_file *f, char *err, size_t errlen)
{
    shard_index x;
    if (shards_read(path, &x, err, errlen) != 0) return -1;
    int result = 0;
    for (size_t i = 0; i < x.shards && result == 0; i++) result = take_shard(&x, i, f, err, errlen);
    if (result != 0) tensor_file_clear(f);
    shards_clear(&x);
    return result;
}

int tensor_file_read(const char *path, tensor_file *f, char *err, size_t errlen)
{
    unsigned char *bytes = NULL;
    size_t n = 0;
    *f = (tensor_file){0};
    if (shards_named(path)) return read_shards(path, f, err, errlen);
    if (whole_file_read(path, &bytes, &n, err, errlen) != 0) return -1;
    const tensor_format format = tensor_format_of(bytes, n);
    int result = format == TENSOR_NPY   ? tensor_file_parse_npy(path, bytes, n, f, err, errlen)
                 : format == TENSOR_NPZ ? tensor_file_parse_npz(path, bytes, n, f, err, errlen)
                                        : tensor_file_parse_safetensors(path, bytes, n, f, err, errlen);
    free(bytes);
    return result;
}
