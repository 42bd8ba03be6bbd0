/* What the readers and writers of files do when the system fails them: memory that is not to be had, a disk that is full, a read
 * that is interrupted or comes short.
 *
 * The linker leads the calls of the program to the functions __wrap_* below (tests_check_failures_LDFLAGS).  Every task is run again and
 * again; in its n-th run the n-th call of one kind fails, until a run ends before that.  A failure must be a refusal of one
 * line that leaves nothing behind, neither memory nor files, and what can be done again must be done again.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

#include "cmd.h"
#include "dump.h"
#include "manifest.h"
#include "prompt.h"
#include "rates.h"
#include "stream.h"
#include "tensorfile.h"
#include "verdict_store.h"

/* --- calls that fail ---------------------------------------------------------------------------------------------- */

typedef enum {
    MEMORY,      /* malloc and what calls it: NULL */
    JSON_MEMORY, /* the same inside jansson */
    LINK,        /* realpath: NULL */
    EXAMINE,     /* fstat: EIO */
    READ,        /* read, pread: EIO */
    READ_END,    /* 0, as if the file had become shorter */
    READ_AGAIN,  /* EINTR */
    READ_SHORT,  /* one byte */
    WRITE,       /* ENOSPC */
    WRITE_AGAIN, /* EINTR */
    WRITE_SHORT, /* one byte */
    FLUSH,       /* fsync: EIO */
    CLOSE,       /* of a file written to: EIO */
    CLOSE_TEXT,  /* of a stream into memory: out of memory */
    NO_TEXT,     /* the same, and only the text that is not there says so, as with the GNU library */
    RENAME,      /* EACCES */
    TAKEN,       /* a temporary name that is there already: EEXIST */
    TAKEN_ALL,   /* so are that one and all after it */
    WRITE_CLOSE, /* ENOSPC, and then closing fails too */
    OPEN,        /* EMFILE */
    SIZE_NONE,   /* fstat: a size below 0 */
    SIZE_HUGE,   /* fstat: a size that no memory has */
    LOCK,        /* EIO */
    LOCKED,      /* by another process: EACCES */
    LOCKED_NOW,  /* the same, EAGAIN */
    UNZIP_OPEN,  /* libzip's: an entry cannot be opened */
    UNZIP,       /* its bytes cannot be read */
    UNZIP_STAT,  /* nothing is known of it */
    UNZIP_BARE,  /* its size is not known */
    UNZIP_FILE,  /* the archive cannot be taken for one: out of memory */
    KINDS,
    /* what tests of their own are about */
    ONE_NAME,  /* every entry has the name of the first */
    SIZE_VAST, /* fstat: GIGABYTE more than there is */
    SWALLOW,   /* write: all is taken, and nothing is written */
    LONG_TEXT, /* json_dumps: spaces, one more than a header may have */
} kind;

enum { GIGABYTE = 1 << 30, HEADER_MOST = 100000000 };

static struct {
    kind of;
    long due, calls; /* the call that fails; how many there were.  due 0: none fails */
    long live;       /* blocks of memory that are in use */
    size_t most;     /* bytes that a read or a write asked for at once */
} now;

static bool strikes(kind k) { return now.due > 0 && now.of == k && ++now.calls == now.due; }

/* The same for a call and all that follow it. */
static bool strikes_on(kind k) { return now.due > 0 && now.of == k && ++now.calls >= now.due; }

/* The names are the linker's. */
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
FILE *__real_open_memstream(char **text, size_t *n);
int __real_fclose(FILE *f);
char *__real_realpath(const char *path, char *to);
int __real_fstat(int fd, struct stat *s);
ssize_t __real_read(int fd, void *to, size_t n);
ssize_t __real_pread(int fd, void *to, size_t n, off_t at);
ssize_t __real_write(int fd, const void *from, size_t n);
int __real_fsync(int fd);
int __real_close(int fd);
int __real_rename(const char *from, const char *to);
int __real_open(const char *path, int flags, mode_t mode);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
int __wrap_asprintf(char **text, const char *format, ...) __attribute__((format(printf, 2, 3)));
FILE *__wrap_open_memstream(char **text, size_t *n);
int __wrap_fclose(FILE *f);
char *__wrap_realpath(const char *path, char *to);
int __wrap_fstat(int fd, struct stat *s);
ssize_t __wrap_read(int fd, void *to, size_t n);
ssize_t __wrap_pread(int fd, void *to, size_t n, off_t at);
ssize_t __wrap_write(int fd, const void *from, size_t n);
int __wrap_fsync(int fd);
int __wrap_close(int fd);
int __wrap_rename(const char *from, const char *to);
int __wrap_open(const char *path, int flags, ...);
int __wrap_fcntl(int fd, int what, ...);

static void *counted(void *p)
{
    now.live += p != NULL;
    return p;
}

void *__wrap_malloc(size_t n) { return strikes(MEMORY) ? NULL : counted(__real_malloc(n)); }

void *__wrap_calloc(size_t n, size_t size) { return strikes(MEMORY) ? NULL : counted(__real_calloc(n, size)); }

void *__wrap_realloc(void *p, size_t n)
{
    if (strikes(MEMORY)) return NULL;
    now.live -= p != NULL;
    return counted(__real_realloc(p, n));
}

void __wrap_free(void *p)
{
    now.live -= p != NULL;
    __real_free(p);
}

char *__wrap_strdup(const char *s) { return strikes(MEMORY) ? NULL : counted(__real_strdup(s)); }

char *__wrap_strndup(const char *s, size_t n) { return strikes(MEMORY) ? NULL : counted(__real_strndup(s, n)); }

int __wrap_asprintf(char **text, const char *format, ...)
{
    va_list ap;
    if (strikes(MEMORY)) return -1;
    va_start(ap, format);
    const int n = vasprintf(text, format, ap);
    va_end(ap);
    now.live += n >= 0;
    return n;
}

static char **collected; /* by the stream into memory that was opened last */

FILE *__wrap_open_memstream(char **text, size_t *n)
{
    if (strikes(MEMORY)) return NULL;
    now.live++; /* the text, which its reader frees */
    collected = text;
    return __real_open_memstream(text, n);
}

int __wrap_fclose(FILE *f)
{
    const int result = __real_fclose(f);
    if (collected && strikes(NO_TEXT)) {
        __wrap_free(*collected);
        *collected = NULL;
    }
    collected = NULL;
    return strikes(CLOSE_TEXT) ? EOF : result;
}

static void *json_malloc(size_t n) { return strikes(JSON_MEMORY) ? NULL : counted(__real_malloc(n)); }

char *__wrap_realpath(const char *path, char *to)
{
    return strikes(LINK) ? NULL : counted(__real_realpath(path, to));
}

static int failed(int reason)
{
    errno = reason;
    return -1;
}

int __wrap_fstat(int fd, struct stat *s)
{
    if (strikes(EXAMINE)) return failed(EIO);
    const int result = __real_fstat(fd, s);
    if (strikes(SIZE_NONE)) s->st_size = -1;
    if (strikes(SIZE_HUGE)) s->st_size = PTRDIFF_MAX;
    if (strikes(SIZE_VAST)) s->st_size += GIGABYTE;
    return result;
}

/* What becomes of a read of n bytes: n, or fewer, or 0 with *result set. */
static size_t as_read(size_t n, ssize_t *result)
{
    *result = 0;
    if (n > now.most) now.most = n;
    if (strikes(READ)) *result = failed(EIO);
    if (strikes(READ_AGAIN)) *result = failed(EINTR);
    if (*result != 0 || strikes(READ_END)) return 0;
    return strikes(READ_SHORT) ? 1 : n;
}

ssize_t __wrap_read(int fd, void *to, size_t n)
{
    ssize_t result;
    const size_t m = as_read(n, &result);
    return m == 0 ? result : __real_read(fd, to, m);
}

ssize_t __wrap_pread(int fd, void *to, size_t n, off_t at)
{
    ssize_t result;
    const size_t m = as_read(n, &result);
    return m == 0 ? result : __real_pread(fd, to, m, at);
}

ssize_t __wrap_write(int fd, const void *from, size_t n)
{
    if (n > now.most) now.most = n;
    if (strikes_on(SWALLOW)) return (ssize_t)n;
    if (strikes(WRITE) || strikes(WRITE_CLOSE)) return failed(ENOSPC);
    if (strikes(WRITE_AGAIN)) return failed(EINTR);
    return __real_write(fd, from, strikes(WRITE_SHORT) ? 1 : n);
}

int __wrap_fsync(int fd) { return strikes(FLUSH) ? failed(EIO) : __real_fsync(fd); }

int __wrap_close(int fd)
{
    const int written = fcntl(fd, F_GETFL) & O_ACCMODE;
    const int result = __real_close(fd);
    if (written == O_WRONLY && now.of == WRITE_CLOSE && now.due > 0 && now.calls >= now.due) return failed(EIO);
    return written == O_WRONLY && strikes(CLOSE) ? failed(EIO) : result;
}

int __wrap_rename(const char *from, const char *to)
{
    return strikes(RENAME) ? failed(EACCES) : __real_rename(from, to);
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    const mode_t mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    if (strikes(OPEN)) return failed(EMFILE);
    return flags & O_EXCL && (strikes(TAKEN) || strikes_on(TAKEN_ALL)) ? failed(EEXIST) : __real_open(path, flags, mode);
}

/* Only to lock a file does this program call it so. */
int __real_fcntl(int fd, int what, ...);
int __wrap_fcntl(int fd, int what, ...)
{
    va_list ap;
    va_start(ap, what);
    void *more = what == F_SETLK ? va_arg(ap, void *) : NULL;
    va_end(ap);
    if (what != F_SETLK) return __real_fcntl(fd, what);
    if (strikes(LOCK)) return failed(EIO);
    if (strikes(LOCKED)) return failed(EACCES);
    if (strikes(LOCKED_NOW)) return failed(EAGAIN);
    return __real_fcntl(fd, what, more);
}

zip_file_t *__real_zip_fopen_index(zip_t *z, zip_uint64_t i, zip_flags_t flags);
zip_int64_t __real_zip_fread(zip_file_t *f, void *to, zip_uint64_t n);
int __real_zip_stat_index(zip_t *z, zip_uint64_t i, zip_flags_t flags, zip_stat_t *s);
zip_file_t *__wrap_zip_fopen_index(zip_t *z, zip_uint64_t i, zip_flags_t flags);
zip_int64_t __wrap_zip_fread(zip_file_t *f, void *to, zip_uint64_t n);
int __wrap_zip_stat_index(zip_t *z, zip_uint64_t i, zip_flags_t flags, zip_stat_t *s);

zip_file_t *__wrap_zip_fopen_index(zip_t *z, zip_uint64_t i, zip_flags_t flags)
{
    return strikes(UNZIP_OPEN) ? NULL : __real_zip_fopen_index(z, i, flags);
}

zip_int64_t __wrap_zip_fread(zip_file_t *f, void *to, zip_uint64_t n)
{
    return strikes(UNZIP) ? -1 : __real_zip_fread(f, to, n);
}

int __wrap_zip_stat_index(zip_t *z, zip_uint64_t i, zip_flags_t flags, zip_stat_t *s)
{
    if (strikes(UNZIP_STAT)) return -1;
    const int result = __real_zip_stat_index(z, i, flags, s);
    if (strikes(UNZIP_BARE)) s->valid &= ~(zip_uint64_t)ZIP_STAT_SIZE;
    if (strikes_on(ONE_NAME)) s->name = zip_get_name(z, 0, 0);
    return result;
}

zip_source_t *__real_zip_source_buffer_create(const void *bytes, zip_uint64_t n, int freed, zip_error_t *problem);
zip_source_t *__real_zip_source_file_create(const char *path, zip_uint64_t from, zip_int64_t n, zip_error_t *problem);
char *__real_json_dumps(const json_t *j, size_t flags);
zip_source_t *__wrap_zip_source_buffer_create(const void *bytes, zip_uint64_t n, int freed, zip_error_t *problem);
zip_source_t *__wrap_zip_source_file_create(const char *path, zip_uint64_t from, zip_int64_t n, zip_error_t *problem);
char *__wrap_json_dumps(const json_t *j, size_t flags);

static bool no_source(zip_error_t *problem)
{
    if (!strikes(UNZIP_FILE)) return false;
    zip_error_set(problem, ZIP_ER_MEMORY, 0);
    return true;
}

zip_source_t *__wrap_zip_source_buffer_create(const void *bytes, zip_uint64_t n, int freed, zip_error_t *problem)
{
    return no_source(problem) ? NULL : __real_zip_source_buffer_create(bytes, n, freed, problem);
}

zip_source_t *__wrap_zip_source_file_create(const char *path, zip_uint64_t from, zip_int64_t n, zip_error_t *problem)
{
    return no_source(problem) ? NULL : __real_zip_source_file_create(path, from, n, problem);
}

char *__wrap_json_dumps(const json_t *j, size_t flags)
{
    if (strikes(JSON_MEMORY)) return NULL;
    if (!strikes(LONG_TEXT)) { /* jansson (2.14) loses text here when it has no memory, and does not say so: it has some */
        const long due = now.due;
        now.due = 0;
        char *text = __real_json_dumps(j, flags);
        now.due = due;
        return text;
    }
    char *text = counted(__real_malloc(HEADER_MOST + 2));
    if (!text) return NULL;
    memset(text, ' ', HEADER_MOST + 1);
    text[HEADER_MOST + 1] = '\0';
    return text;
}

/* --- what the parts of the command take from main.c --- */

const char cli_version[] = "0.0-test";

int cli_writable(const char *path, char *err, size_t errlen)
{
    if (strstr(path, "forbidden") == NULL) return 0;
    return tensor_fail(err, errlen, "%s: cannot write", path);
}

int cli_write_file(const char *path, const void *bytes, size_t n, char *err, size_t errlen)
{
    const file_part part = {bytes, n};
    return whole_file_write(path, 1, &part, err, errlen);
}

int cli_input(const char *format, ...)
{
    (void)format;
    return STATUS_INPUT;
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static char folder[64], err[TENSOR_ERROR];

static const char *in_folder(const char *name)
{
    static char path[6][512];
    static int turn;
    turn = (turn + 1) % 6;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static void put_file(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    ck_assert(f != NULL && fwrite(bytes, 1, n, f) == n);
    ck_assert_int_eq(__real_fclose(f), 0);
}

/* Version 1.0 of a matrix [2,3] of big-endian doubles in Fortran order: element (t, k) is 10 t + k. */
static size_t npy_bytes(unsigned char out[256])
{
    static const char text[] = "{'descr': '>f8', 'fortran_order': True, 'shape': (2, 3), }\n";
    size_t n = 0;
    memcpy(out, "\x93NUMPY\1\0", 8);
    out[8] = sizeof text - 1;
    out[9] = 0;
    memcpy(out + 10, text, sizeof text - 1);
    n = 10 + sizeof text - 1;
    for (int k = 0; k < 3; k++)
        for (int t = 0; t < 2; t++, n += 8) {
            const double x = 10 * t + k;
            memcpy(out + n, &x, 8);
            tensor_swap(out + n, 1, 8);
        }
    return n;
}

/* An archive of the matrix `a` and of `b`, 10,000 numbers [100,100] that are all 0, both deflated. */
static void make_npz(const char *path)
{
    static unsigned char a[256], b[81000];
    const char text[] = "{'descr': '<f8', 'fortran_order': False, 'shape': (100, 100), }\n";
    memcpy(b, "\x93NUMPY\1\0", 8);
    b[8] = sizeof text - 1;
    memcpy(b + 10, text, sizeof text - 1);
    zip_t *z = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    ck_assert_ptr_nonnull(z);
    ck_assert_int_eq((int)zip_file_add(z, "a.npy", zip_source_buffer(z, a, npy_bytes(a), 0), 0), 0);
    ck_assert_int_eq((int)zip_file_add(z, "b.npy", zip_source_buffer(z, b, 10 + sizeof text - 1 + 80000, 0), 0), 1);
    ck_assert_int_eq(zip_close(z), 0);
}

static void make_safetensors(const char *path, const char *name, size_t n)
{
    tensor_file f = {0};
    double *x = calloc(n * 2, sizeof *x);
    for (size_t i = 0; i < n * 2; i++) x[i] = (double)i;
    ck_assert(tensor_file_add(&f, name, TENSOR_F64, 2, (size_t[]){n, 2}, x) == 0 &&
              tensor_file_add_meta(&f, "note", "x") == 0);
    ck_assert_int_eq(tensor_file_write(path, &f, err, sizeof err), 0);
    tensor_file_clear(&f);
    free(x);
}

static void make_files(void)
{
    unsigned char bytes[256];
    snprintf(folder, sizeof folder, "%s", "/tmp/check_failures.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    put_file(in_folder("a.npy"), bytes, npy_bytes(bytes));
    make_npz(in_folder("z.npz"));
    make_safetensors(in_folder("one.safetensors"), "v", 3);
    make_safetensors(in_folder("two.safetensors"), "w", 4);
    tensor_file f = {0};
    ck_assert(tensor_file_add(&f, "o", TENSOR_F64, 3, (size_t[]){3, 2, 1}, (const double[]){0, 1, 2, 3, 4, 5}) == 0 &&
              tensor_file_write(in_folder("three.safetensors"), &f, err, sizeof err) == 0);
    tensor_file_clear(&f);
    static const char index[] = "{\"weight_map\":{\"w\":\"two.safetensors\",\"v\":\"one.safetensors\"}}";
    put_file(in_folder("m.safetensors.index.json"), index, sizeof index - 1);
    json_set_alloc_funcs(json_malloc, __wrap_free);
}

/* Is there a file whose name has this text?  Deletes all files if it is empty. */
static bool files_with(const char *text)
{
    bool found = false;
    DIR *d = opendir(folder);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        found = found || strstr(e->d_name, text) != NULL;
        if (*text == '\0') unlink(in_folder(e->d_name));
    }
    if (d != NULL) closedir(d);
    return found;
}

static void drop_files(void)
{
    files_with("");
    rmdir(folder);
}

/* Is the file the one that the first run wrote, when nothing failed? */
static bool as_at_first(const char *name)
{
    enum { FILES = 8, MOST = 8192 };
    static struct {
        char name[40], bytes[MOST];
        size_t n;
    } first[FILES];
    static char bytes[MOST];
    FILE *f = fopen(in_folder(name), "rb");
    if (!f) return false;
    const size_t n = fread(bytes, 1, MOST, f);
    __real_fclose(f);
    size_t i = 0;
    while (i < FILES - 1 && *first[i].name && strcmp(first[i].name, name) != 0) i++;
    if (!*first[i].name) {
        snprintf(first[i].name, sizeof first[i].name, "%s", name);
        memcpy(first[i].bytes, bytes, n);
        first[i].n = n;
    }
    return n < MOST && first[i].n == n && memcmp(first[i].bytes, bytes, n) == 0;
}

/* --- tasks: 0 done, and what was read is right; -1 refused, with a line in err; -2 what was read is wrong -----------
 * (no ck_assert in them: it takes memory of its own, from the same functions) */

static int read_safetensors(void)
{
    tensor_file f;
    if (tensor_file_read(in_folder("two.safetensors"), &f, err, sizeof err) != 0) return -1;
    const char *note = tensor_file_meta(&f, "note");
    const bool right = f.tensors == 1 && f.t[0].count == 8 && tensor_get(f.t, 7) == 7 && note && strcmp(note, "x") == 0;
    tensor_file_clear(&f);
    return right ? 0 : -2;
}

static int read_npy(void)
{
    tensor_file f;
    if (tensor_file_read(in_folder("a.npy"), &f, err, sizeof err) != 0) return -1;
    const bool right = f.tensors == 1 && tensor_get(f.t, 3) == 10 && tensor_get(f.t, 5) == 12;
    tensor_file_clear(&f);
    return right ? 0 : -2;
}

static int read_npz(void)
{
    tensor_file f;
    if (tensor_file_read(in_folder("z.npz"), &f, err, sizeof err) != 0) return -1;
    const bool right = f.tensors == 2 && tensor_get(f.t, 5) == 12 && f.t[1].count == 10000;
    tensor_file_clear(&f);
    return right ? 0 : -2;
}

static int read_shards(void)
{
    tensor_file f;
    if (tensor_file_read(in_folder("m.safetensors.index.json"), &f, err, sizeof err) != 0) return -1;
    const bool right = f.tensors == 2 && f.t[0].count == 6 && f.t[1].count == 8;
    tensor_file_clear(&f);
    return right ? 0 : -2;
}

static int write_safetensors(void)
{
    tensor_file f = {0};
    int result = -1;
    snprintf(err, sizeof err, "no room for a tensor");
    if (tensor_file_add(&f, "x", TENSOR_F64, 1, (size_t[]){2}, (const double[]){1, 2}) == 0 &&
        tensor_file_add_meta(&f, "k", "v") == 0 && tensor_file_add_meta(&f, "l", "w") == 0)
        result = tensor_file_write(in_folder("written.safetensors"), &f, err, sizeof err);
    tensor_file_clear(&f);
    return result == 0 && !as_at_first("written.safetensors") ? -2 : result;
}

static int write_device(void)
{
    const file_part part = {"x", 1};
    return whole_file_write("/dev/null", 1, &part, err, sizeof err);
}

static int digest(void)
{
    static char first[65];
    char hex[65];
    if (tensor_file_sha256(in_folder("a.npy"), hex, err, sizeof err) != 0) return -1;
    if (*first == '\0') memcpy(first, hex, sizeof hex);
    return strcmp(hex, first) == 0 ? 0 : -2;
}

#define DIGEST "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

/* With a roundoff, which is what a reader of one has, and with the digests of the last case's blocks. */
static int write_manifest(void)
{
    static const char text[] = "{\"smoeref\":\"1\",\"suite\":\"core\",\"seed\":1,\"roundoff\":{\"arithmetic\":\"f16\"},\"cases\":[]}";
    manifest m;
    if (manifest_parse("m", text, sizeof text - 1, &m, err, sizeof err) != 0) return -1;
    int result = 0;
    for (int i = 0; i < 4 && result == 0; i++)
        result = manifest_add(&m, (const char *[]){"a", "b", "c", "d"}[i], "x.y", "{\"k\": 2, \"r\": 0.5, \"o\": \"w\"}",
                              "ties,wide", DIGEST, DIGEST, err, sizeof err);
    if (result == 0) result = manifest_add_blocks(&m, DIGEST, DIGEST DIGEST, err, sizeof err);
    if (result == 0) result = manifest_write(in_folder("written.json"), &m, err, sizeof err);
    manifest_clear(&m);
    return result == 0 && !as_at_first("written.json") ? -2 : result;
}

static int read_manifest(void)
{
    manifest m;
    if (manifest_read(in_folder("written.json"), &m, err, sizeof err) != 0) return -1;
    const bool right = m.cases == 4 && m.c[2].flags == 2 && m.roundoff && strcmp(m.roundoff->arithmetic->name, "f16") == 0 &&
                       !m.c[2].prompt_blocks && strcmp(m.c[3].expected_blocks, DIGEST DIGEST) == 0 &&
                       strcmp(m.c[2].parameters, "{\"k\": 2, \"r\": 0.5, \"o\": \"w\"}") == 0;
    manifest_clear(&m);
    return right ? 0 : -2;
}

static int parameters(void)
{
    char *json = NULL, *set = NULL;
    int result = manifest_set_to_parameters("p", "k=2,m=-0,r=0.5,o=w", &json, err, sizeof err);
    if (result == 0 && strcmp(json, "{\"k\": 2, \"m\": -0.0, \"r\": 0.5, \"o\": \"w\"}") != 0) result = -2;
    if (result == 0) result = manifest_parameters_to_set("p", json, &set, err, sizeof err);
    if (result == 0 && strcmp(set, "k=2,m=-0.0,r=0.5,o=w") != 0) result = -2;
    free(json);
    free(set);
    return result;
}

static int read_dump(void)
{
    static const char *const patterns[] = {"v", "*"};
    const char *const path[] = {in_folder("a.npy"), in_folder("z.npz"), in_folder("m.safetensors.index.json")};
    const dump_choice all = {.patterns = 2, .pattern = patterns};
    double x[200];
    dump d;
    if (dump_open(&d, 3, path, &all, err, sizeof err) != 0) return -1;
    int result = d.matrices == 5 ? 0 : -2; /* a, a, b, v, w */
    for (size_t i = 0; i < d.matrices && result == 0; i++) result = dump_read(&d, i, 0, 2, x, err, sizeof err);
    if (result == 0) result = dump_read(&d, 2, 98, 2, x, err, sizeof err);  /* passes 98 rows by */
    if (result == 0) result = dump_read(&d, 1, 1, 1, x, err, sizeof err);   /* and back */
    if (result == 0 && (x[0] != 10 || x[2] != 12)) result = -2;
    dump_close(&d);
    return result;
}

static int read_routing(void)
{
    const char *const path[] = {in_folder("one.safetensors")};
    dump d;
    const dump_choice integers = {.integers = true};
    if (dump_open(&d, 1, path, &integers, err, sizeof err) == 0) return -2;
    return -1;
}

/* Rows that do not follow one another: matrices counted by the second of three dimensions. */
static int read_second(void)
{
    const char *const path[] = {in_folder("three.safetensors")};
    const dump_choice second = {.second = true};
    double x[8];
    dump d;
    if (dump_open(&d, 1, path, &second, err, sizeof err) != 0) return -1;
    int result = dump_read(&d, 1, 0, 3, x, err, sizeof err);
    if (result == 0 && (d.matrices != 2 || x[0] != 1 || x[1] != 3 || x[2] != 5)) result = -2;
    dump_close(&d);
    return result;
}

static op_case *small_case(void)
{
    op_case *c = op_case_new(op_find("gate.weights"), "T=2,N=3", "k=2", err, sizeof err);
    for (size_t i = 0; c && i < 6; i++) c->in[0].f64[i] = (double)(i * i % 5);
    return c;
}

static int write_prompt(void)
{
    tensor_file f = {0};
    op_case *c = small_case();
    if (!c) return -1;
    snprintf(err, sizeof err, "no room for a prompt");
    int result = op_add_prompt(&f, c, "case");
    if (result == 0) result = tensor_file_write(in_folder("prompt.safetensors"), &f, err, sizeof err);
    tensor_file_clear(&f);
    snprintf(err, sizeof err, "no room for an answer");
    if (result == 0) result = op_add_answer(&f, c, true);
    if (result == 0 && (f.tensors != 4 || !as_at_first("prompt.safetensors"))) result = -2;
    tensor_file_clear(&f);
    op_case_free(c);
    return result;
}

static int read_prompt(void)
{
    char *name = NULL;
    size_t cotangents = 0;
    op_case *c = op_case_from_prompt(in_folder("prompt.safetensors"), NULL, "order=softmax-topk", &name, &cotangents, err,
                                     sizeof err);
    now.due = 0; /* op_is() knows no failure */
    const bool right = c && name && strcmp(name, "case") == 0 && cotangents == 1 && op_is(c, "order", "softmax-topk");
    const int result = !c ? -1 : right ? 0 : -2;
    free(name);
    op_case_free(c);
    return result;
}

static int write_stream(void)
{
    op_case *c = small_case();
    FILE *f = c ? fopen("/dev/null", "w") : NULL;
    if (!f) return -1;
    snprintf(err, sizeof err, "no room for a line");
    const int result = stream_write_prompt(f, c, "case");
    __real_fclose(f);
    op_case_free(c);
    return result;
}

static int read_stream(void)
{
    static const char line[] = "{\"name\": \"c\", \"tensors\": {\"x\": {\"dtype\": \"F64\", \"shape\": [2], \"data\": [1, 2.5]}}}";
    char *name;
    tensor_file f;
    const int status = stream_read_answer(line, sizeof line - 1, &name, &f, err, sizeof err);
    const bool right = status != 0 || (f.tensors == 1 && tensor_get(f.t, 1) == 2.5);
    free(name);
    tensor_file_clear(&f);
    return status != 0 ? -1 : right ? 0 : -2;
}

static rates_fit some_fit(const rates_plan *plan, size_t i)
{
    rates_fit f = {.done = true, .status = i % 2 ? FIT_CONVERGED : FIT_STATUSES - 1, .evaluations = i, .loglik = -1.5};
    for (size_t j = 0; j < smoe_mix_parameters(&plan->series[rates_place_of(plan, i).series].fitted); j++)
        f.theta[j] = f.status == FIT_CONVERGED ? (double)j : 0;
    return f;
}

static bool start_plan(rates_plan *plan)
{
    char text[RATES_TEXT];
    return rates_plan_start(plan, "exact") && rates_plan_sizes(plan, "100,200") == NULL &&
           (plan->repeats = 2, rates_plan_finish(plan, text) == NULL);
}

static int write_rates(void)
{
    static rates_fit results[200];
    rates_plan plan;
    rates_store s;
    unlink(in_folder("rates.jsonl"));
    if (!start_plan(&plan) || rates_fits(&plan) > 200) return -2;
    memset(results, 0, sizeof results);
    if (rates_store_open(&s, in_folder("rates.jsonl"), &plan, results, err, sizeof err) != 0) return -1;
    int result = 0;
    for (size_t i = 4; i-- > 0 && result == 0;) {
        results[i] = some_fit(&plan, i);
        result = rates_store_append(&s, &plan, i, &results[i], err, sizeof err);
    }
    if (result == 0) result = rates_store_finish(&s, &plan, results, err, sizeof err);
    rates_store_close(&s);
    return result == 0 && !as_at_first("rates.jsonl") ? -2 : result;
}

static int read_rates(void)
{
    rates_plan plan;
    rates_fit *results = NULL;
    int result = rates_store_merge(in_folder("rates.jsonl"), &plan, &results, err, sizeof err);
    for (size_t i = 0; i < 4; i++)
        if (result == 0 && (!results[i].done || results[i].evaluations != i)) result = -2;
    if (result == 0 && (results[3].theta[2] != 2 || results[4].done)) result = -2;
    if (result == 0) result = rates_store_merge(in_folder("rates.jsonl"), &plan, &results, err, sizeof err);
    if (result != 0 && now.of == MEMORY && strstr(err, "different")) result = -2; /* that is not what is wrong */
    free(results);
    return result;
}

/* Takes up a file that is there, and leaves it as it is. */
static int resume_rates(void)
{
    static rates_fit results[200];
    rates_plan plan;
    rates_store s;
    const long due = now.due;
    now.due = 0;
    if (!start_plan(&plan) || write_rates() != 0) return -2;
    now.due = due;
    memset(results, 0, sizeof results);
    if (rates_store_open(&s, in_folder("rates.jsonl"), &plan, results, err, sizeof err) != 0) return -1;
    int result = results[3].done && results[3].theta[2] == 2 ? 0 : -2;
    if (result == 0) result = rates_store_finish(&s, &plan, results, err, sizeof err);
    rates_store_close(&s);
    return result == 0 && !as_at_first("rates.jsonl") ? -2 : result;
}

/* Another experiment's file is refused as that, and as nothing else unless a call fails. */
static int refuse_rates(void)
{
    static rates_fit results[200];
    rates_plan plan;
    rates_store s;
    const long due = now.due;
    now.due = 0;
    if (!start_plan(&plan) || write_rates() != 0) return -2;
    plan.seed = 7;
    now.due = due;
    const int status = rates_store_open(&s, in_folder("rates.jsonl"), &plan, results, err, sizeof err);
    if (status == 0) rates_store_close(&s);
    return status == 0 ? -2 : -1;
}

/* A last line without its newline gets one, and the file is as it was. */
static int mend_rates(void)
{
    static rates_fit results[200];
    rates_plan plan;
    rates_store s;
    const long due = now.due;
    now.due = 0;
    if (!start_plan(&plan) || write_rates() != 0) return -2;
    FILE *f = fopen(in_folder("rates.jsonl"), "r+b");
    if (!f) return -2;
    fseek(f, -1, SEEK_END);
    const bool cut = ftruncate(fileno(f), ftell(f)) == 0;
    __real_fclose(f);
    now.due = due;
    memset(results, 0, sizeof results);
    if (!cut) return -2;
    if (rates_store_open(&s, in_folder("rates.jsonl"), &plan, results, err, sizeof err) != 0) return -1;
    rates_store_close(&s);
    return results[3].done && as_at_first("rates.jsonl") ? 0 : -2;
}

/* Two shards of a run of two cases, of which one failed and is diagnosed. */
static int write_verdicts(void)
{
    static char name[] = "c", text[] = "T=1", weight[] = "weight", sentence[] = "off", precision[] = "f64";
    static unsigned char heat[] = {5, 0};
    char *details[] = {sentence};
    verdict_tensor t = {.name = weight, .kind = OP_BOUNDED, .slot = 1, .present = true, .owed = true, .judged = true, .rank = 2,
                        .dim = {1, 2}, .count = 2, .outside = 1, .ratio = 2, .got = NAN, .bound = INFINITY, .heat = heat,
                        .heat_rows = 1, .heat_cols = 2};
    verdict_match match = {.variant = verdict_variant("gate.weights", "NormTopK/softmax-topk"), .ratio = 0.5};
    verdict_case v = {.name = name, .op = op_find("gate.weights"), .sizes = text, .parameters = text, .tensors = 1, .t = &t,
                      .details = 1, .detail = details, .matches = 1, .match = &match, .narrow = true};
    verdict_store s = {.shard = 1, .shards = 2, .manifest = DIGEST, .asked = DIGEST, .suite = name, .seed = 1,
                       .precision = precision, .power = true, .total = 2, .cases = 1, .c = &v};
    s.exposed[0] = true;
    int result = verdict_store_write(in_folder("one.verdicts"), &s, "v", err, sizeof err);
    s.shard = 2;
    if (result == 0) result = verdict_store_write(in_folder("two.verdicts"), &s, "v", err, sizeof err);
    return result == 0 && !(as_at_first("one.verdicts") && as_at_first("two.verdicts")) ? -2 : result;
}

static int merge_verdicts(void)
{
    const char *const path[] = {in_folder("two.verdicts"), in_folder("one.verdicts")};
    verdict_store s[2] = {{0}, {0}};
    verdict_case *c = NULL;
    int result = verdict_store_read(path[0], &s[0], "v", err, sizeof err);
    if (result == 0) result = verdict_store_read(path[1], &s[1], "v", err, sizeof err);
    if (result == 0) result = verdict_store_join(s, 2, path, &c, err, sizeof err);
    if (result == 0 && !(c[1].narrow && c[1].t[0].heat[0] == 5 && isnan(c[0].t[0].got) && c[1].match[0].ratio == 0.5)) result = -2;
    for (int i = 0; c && i < 2; i++) verdict_case_clear(&c[i]);
    for (int i = 0; i < 2; i++) verdict_store_clear(&s[i]);
    free(c);
    return result;
}

/* --- the loops ---------------------------------------------------------------------------------------------------- */

/* In their order, since some read what others have written. */
static const struct {
    const char *name;
    int (*run)(void);
    int undisturbed; /* what it returns when nothing fails */
} tasks[] = {
    {"reading safetensors", read_safetensors, 0},
    {"reading npy", read_npy, 0},
    {"reading npz", read_npz, 0},
    {"reading shards", read_shards, 0},
    {"writing safetensors", write_safetensors, 0},
    {"writing to a device", write_device, 0},
    {"a digest", digest, 0},
    {"writing a manifest", write_manifest, 0},
    {"reading a manifest", read_manifest, 0},
    {"parameters", parameters, 0},
    {"reading a dump", read_dump, 0},
    {"reading a routing that is none", read_routing, -1},
    {"reading by the second dimension", read_second, 0},
    {"writing a prompt", write_prompt, 0},
    {"reading a prompt", read_prompt, 0},
    {"writing a line", write_stream, 0},
    {"reading a line", read_stream, 0},
    {"writing rates", write_rates, 0},
    {"reading rates", read_rates, 0},
    {"taking up rates", resume_rates, 0},
    {"refusing rates", refuse_rates, -1},
    {"mending rates", mend_rates, 0},
    {"writing verdicts", write_verdicts, 0},
    {"merging verdicts", merge_verdicts, 0},
};
enum { TASKS = sizeof tasks / sizeof *tasks };

/* Does the work go on as if nothing had happened? */
static bool harmless(kind k)
{
    return k == READ_AGAIN || k == READ_SHORT || k == WRITE_AGAIN || k == LINK || k == TAKEN;
}

static bool one_line(const char *s)
{
    if (*s == '\0') return false;
    for (; *s != '\0'; s++)
        if (*s < 0x20 || *s > 0x7e) return false;
    return true;
}

static int run_with(int task, kind k, long due)
{
    *err = '\0';
    now.of = k;
    now.calls = 0;
    now.due = due;
    const int result = tasks[task].run();
    now.due = 0;
    return result;
}

START_TEST(every_call_fails_once)
{
    const int task = _i;
    long struck = 0;
    for (int t = 0; t <= task; t++) ck_assert_msg(tasks[t].run() == tasks[t].undisturbed, "%s: %s", tasks[t].name, err);
    for (kind k = 0; k < KINDS; k++) {
        if ((k == SIZE_NONE || k == SIZE_HUGE) && strstr(tasks[task].name, "rates")) continue; /* not looked at there */
        for (long n = 1;; n++, struck++) {
            const long before = now.live;
            const int result = run_with(task, k, n);
            const char *name = tasks[task].name;
            ck_assert_msg(now.live == before, "%s: call %ld of kind %d: %ld blocks left", name, n, k, now.live - before);
            ck_assert_msg(!files_with("tmp"), "%s: call %ld of kind %d: a temporary file left", name, n, k);
            if (now.calls < n) {
                ck_assert_msg(result == tasks[task].undisturbed, "%s: kind %d: %d: %s", name, k, result, err);
                break;
            }
            if (harmless(k) || result == 0) /* done all the same: without a thing that it could do without */
                ck_assert_msg(result == tasks[task].undisturbed, "%s: call %ld of kind %d: %s", name, n, k, err);
            else
                ck_assert_msg(result == -1 && one_line(err), "%s: call %ld of kind %d: %d: '%s'", name, n, k, result, err);
        }
    }
    ck_assert_int_gt(struck, 0);
}
END_TEST

/* --- what does not come up by a call's failure --- */

static void fail_first(kind k)
{
    now.of = k;
    now.calls = 0;
    now.due = 1;
    now.most = 0;
}

/* The reader does not rely on libzip for each name once. */
START_TEST(archive_of_one_name)
{
    tensor_file f;
    fail_first(ONE_NAME);
    const int result = tensor_file_read(in_folder("z.npz"), &f, err, sizeof err);
    now.due = 0;
    ck_assert_int_eq(result, -1);
    ck_assert_msg(strstr(err, "z.npz: tensor \"a\": expected each name once") != NULL, "%s", err);
    ck_assert(f.tensors == 0 && f.t == NULL);
}
END_TEST

/* At most a gigabyte is asked for at a time: Linux takes no more than two at once, others refuse them. */
START_TEST(requests_of_a_gigabyte)
{
    /* version 2.0 with a header of 2^30 + 80 bytes, of which there are 88 */
    static const unsigned char b[100] = {0x93, 'N', 'U', 'M', 'P', 'Y', 2, 0, 80, 0, 0, 0x40};
    const dump_choice all = {.patterns = 0};
    const char *path = in_folder("vast.npy");
    tensor_file f;
    dump d;
    put_file(path, b, sizeof b);
    fail_first(SIZE_VAST);
    ck_assert_int_eq(tensor_file_read(path, &f, err, sizeof err), -1);
    ck_assert_msg(strstr(err, ": changed while it was read: expected 1073741924 bytes, found 100") != NULL, "%s", err);
    ck_assert_uint_eq(now.most, GIGABYTE);
    fail_first(SIZE_VAST);
    ck_assert_int_eq(dump_open(&d, 1, &path, &all, err, sizeof err), -1);
    ck_assert_msg(strstr(err, ": changed while it was read: ends at byte 100, expected 1073741924") != NULL, "%s", err);
    ck_assert_uint_eq(now.most, GIGABYTE);

    const size_t n = (size_t)GIGABYTE + 1;
    void *nowhere = mmap(NULL, n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ck_assert(nowhere != MAP_FAILED);
    const file_part part = {nowhere, n};
    fail_first(SWALLOW);
    const int result = whole_file_write("/dev/null", 1, &part, err, sizeof err);
    ck_assert_int_eq(now.calls, 2);
    now.due = 0;
    ck_assert_msg(result == 0, "%s", err);
    ck_assert_uint_eq(now.most, GIGABYTE);
    munmap(nowhere, n);
}
END_TEST

/* The format's reference implementation takes no header of more than 100,000,000 bytes: none is written. */
START_TEST(header_too_long)
{
    const tensor_file f = {0};
    const long before = now.live;
    fail_first(LONG_TEXT);
    const int result = tensor_file_write(in_folder("long.safetensors"), &f, err, sizeof err);
    now.due = 0;
    ck_assert_int_eq(result, -1);
    ck_assert_msg(strstr(err, "long.safetensors: cannot be written: a header of 100000008 bytes, expected at most 100000000") != NULL,
                  "%s", err);
    ck_assert_int_eq(now.live, before);
    ck_assert(!files_with("long") && !files_with("tmp"));
}
END_TEST

/* --- what a file of results must say --- */

/* A line as rates_store.c seals it, by the definition of CRC-32 (the polynomial of zlib, bit by bit). */
static void sealed(char out[600], const char *text)
{
    uint32_t c = 0xffffffff;
    for (const char *s = text; *s; s++)
        for (int bit = (c ^= (unsigned char)*s, 0); bit < 8; bit++) c = c >> 1 ^ (c & 1 ? 0xedb88320 : 0);
    snprintf(out, 600, "%s,\"crc32\":\"%08x\"}", text, (unsigned)~c);
}

#define FIT(series, n, repeat, status, theta) \
    "{\"fit\":1,\"series\":" series ",\"n\":" n ",\"repeat\":" repeat ",\"status\":" status ",\"evaluations\":1," \
    "\"failed_starts\":0,\"loglik\":-1.5,\"total_variation\":null,\"total_variation_error\":null," \
    "\"hellinger\":null,\"voronoi\":null,\"theta\":" theta
#define COUNTED(fit, evaluations, failed) \
    "{\"fit\":" fit ",\"series\":\"norm\",\"n\":100,\"repeat\":1,\"status\":\"undefined\",\"evaluations\":" evaluations "," \
    "\"failed_starts\":" failed ",\"loglik\":null,\"total_variation\":null,\"total_variation_error\":null," \
    "\"hellinger\":null,\"voronoi\":null,\"theta\":[]"
#define SIX "[0,1,2,3,4,5]"

static const struct {
    const char *line, *error;
} fit_lines[] = {
    {FIT("\"norm\"", "100", "1", "\"converged\"", SIX), NULL},
    {COUNTED("1", "1", "0"), NULL},
    {FIT("\"soft\"", "100", "1", "\"converged\"", SIX), "line 2 does not belong to its plan"},
    {FIT("\"norm\"", "101", "1", "\"converged\"", SIX), "line 2 does not belong to its plan"},
    {FIT("\"norm\"", "100", "0", "\"converged\"", SIX), "line 2 does not belong to its plan"},
    {FIT("\"norm\"", "100", "1", "\"fine\"", SIX), "line 2 does not belong to its plan"},
    {FIT("\"norm\"", "100", "1", "\"converged\"", "[0]"), "line 2 does not belong to its plan"},
    {FIT("\"norm\"", "100", "1", "\"undefined\"", SIX), "line 2 does not belong to its plan"},
    {FIT("\"norm\"", "100", "1", "\"undefined\"", "0"), "line 2 does not belong to its plan"},
    {COUNTED("-1", "1", "0"), "line 2 does not belong to its plan"},
    {COUNTED("12", "1", "0"), "line 2 does not belong to its plan"},
    {COUNTED("1", "-1", "0"), "line 2 does not belong to its plan"},
    {COUNTED("1", "1", "-1"), "line 2 does not belong to its plan"},
    {"{\"fit\":1", "line 2 does not belong to its plan"},
    {"{\"fit\":", "line 2 does not belong to its plan"},
};

/* Writes the plan's line and then these. */
static void put_rates(const rates_plan *plan, const char *one, const char *two)
{
    static rates_fit none[200];
    char line[600];
    rates_store s = {in_folder("r.jsonl"), -1}; /* without an open file it is written, and closing is nothing */
    ck_assert_int_eq(rates_store_finish(&s, plan, none, err, sizeof err), 0);
    rates_store_close(&s);
    FILE *f = fopen(in_folder("r.jsonl"), "ab");
    ck_assert_ptr_nonnull(f);
    sealed(line, one);
    fprintf(f, "%s\n", line);
    if (two) {
        sealed(line, two);
        fprintf(f, "%s", line);
    }
    __real_fclose(f);
}

START_TEST(lines_of_rates)
{
    rates_plan plan, theirs;
    rates_fit *results = NULL;
    ck_assert(start_plan(&plan));
    put_rates(&plan, fit_lines[_i].line, NULL);
    const int result = rates_store_merge(in_folder("r.jsonl"), &theirs, &results, err, sizeof err);
    ck_assert_int_eq(result, fit_lines[_i].error ? -1 : 0);
    if (fit_lines[_i].error) ck_assert_msg(strstr(err, fit_lines[_i].error) != NULL, "%s", err);
    else ck_assert(results[1].done && !results[0].done && results[1].evaluations == 1);
    free(results);
}
END_TEST

START_TEST(files_of_rates)
{
    static rates_fit results[200];
    rates_fit *merged = NULL;
    rates_plan plan, other;
    rates_store s;
    ck_assert(start_plan(&plan) && start_plan(&other));
    other.seed = 7;
    put_rates(&plan, fit_lines[0].line, fit_lines[1].line); /* no newline after the last */
    ck_assert_int_eq(rates_store_merge(in_folder("r.jsonl"), &other, &merged, err, sizeof err), -1);
    ck_assert_ptr_nonnull(strstr(err, "fit 1 is there with two different results"));
    free(merged);
    merged = NULL;
    put_rates(&plan, fit_lines[0].line, fit_lines[0].line);
    ck_assert_msg(rates_store_open(&s, in_folder("r.jsonl"), &plan, results, err, sizeof err) == 0, "%s", err);
    ck_assert(results[1].done && results[1].theta[5] == 5);
    rates_fit endless = {.done = true, .status = FIT_CONVERGED, .loglik = INFINITY};
    ck_assert_int_eq(rates_store_append(&s, &plan, 0, &endless, err, sizeof err), 0); /* on a line of its own */
    rates_store_close(&s);
    ck_assert_int_eq(rates_store_merge(in_folder("r.jsonl"), &other, &merged, err, sizeof err), 0);
    ck_assert(merged[0].done && merged[0].loglik == 0 && merged[1].done); /* what JSON does not have is null */
    ck_assert(start_plan(&other));
    other.seed = 7;
    ck_assert_int_eq(rates_store_open(&s, in_folder("r.jsonl"), &other, results, err, sizeof err), -1);
    ck_assert_ptr_nonnull(strstr(err, "holds another experiment, {\"preset\": \"exact\""));
    ck_assert_int_eq(rates_store_merge(in_folder("r.jsonl"), &other, &merged, err, sizeof err), -1);
    ck_assert_ptr_nonnull(strstr(err, "of another experiment than the files before it"));
    free(merged);
    merged = NULL;
    ck_assert_int_eq(rates_store_open(&s, folder, &plan, results, err, sizeof err), -1);
    ck_assert_ptr_nonnull(strstr(err, "not a regular file"));
    ck_assert_int_eq(rates_store_open(&s, in_folder("forbidden"), &plan, results, err, sizeof err), -1);
    ck_assert_int_eq(rates_store_merge(in_folder("none"), &other, &merged, err, sizeof err), -1);
    ck_assert_ptr_nonnull(strstr(err, "none: cannot read: No such file or directory"));
    put_file(in_folder("r.jsonl"), "", 0);
    ck_assert_int_eq(rates_store_open(&s, in_folder("r.jsonl"), &plan, results, err, sizeof err), -1);
    ck_assert_ptr_nonnull(strstr(err, "it is not a file of smoeref rates"));
    char line[600];
    sealed(line, "{\"smoeref\":\"another\",\"plan\":{}");
    put_file(in_folder("r.jsonl"), line, strlen(line));
    ck_assert_int_eq(rates_store_merge(in_folder("r.jsonl"), &other, &merged, err, sizeof err), -1);
    ck_assert_ptr_nonnull(strstr(err, "another version of smoeref wrote it"));
    ck_assert_ptr_null(merged);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("failures");
    TCase *t = tcase_create("failures");
    suite_add_tcase(s, t);
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, make_files, drop_files);
    tcase_add_loop_test(t, every_call_fails_once, 0, TASKS);
    tcase_add_test(t, archive_of_one_name);
    tcase_add_test(t, requests_of_a_gigabyte);
    tcase_add_test(t, header_too_long);
    tcase_add_loop_test(t, lines_of_rates, 0, (int)(sizeof fit_lines / sizeof *fit_lines));
    tcase_add_test(t, files_of_rates);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int bad = srunner_ntests_failed(r);
    srunner_free(r);
    return bad == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
