/* Files of named tensors: safetensors (read and written), .npy and .npz (read).
 *
 * Readers treat a file as hostile: every length, offset and shape is checked before it is used, nothing is
 * allocated that the file's own size does not justify, and an error is one line naming file, tensor and what was
 * expected.
 */
#ifndef SMOEREF_ORACLE_TENSORFILE_H
#define SMOEREF_ORACLE_TENSORFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TENSOR_RANK = 8, TENSOR_ERROR = 512 };

typedef enum { TENSOR_F64, TENSOR_F32, TENSOR_BF16, TENSOR_F16, TENSOR_I64 } tensor_dtype;

typedef struct {
    char *name;
    tensor_dtype dtype;
    size_t rank, dim[TENSOR_RANK], count; /* count = product of dim, 1 for a scalar */
    void *data;                           /* count elements of dtype, native byte order, aligned */
} tensor;

typedef struct {
    size_t tensors, entries;
    tensor *t;                  /* in the file's order */
    struct { char *key, *value; } *entry; /* __metadata__ */
} tensor_file;

const char *tensor_dtype_name(tensor_dtype t); /* "F64" */
size_t tensor_dtype_size(tensor_dtype t);

/* Reads a file by its content (safetensors, npy, npz); by its name, that of an index (shards.h), all its shards.  An .npy holds one tensor named after the file's stem.
 * Returns 0, or -1 with one line in err. */
int tensor_file_read(const char *path, tensor_file *f, char *err, size_t errlen);
/* The same from memory; `label` names it in errors.  These are what the fuzzers call. */
int tensor_file_parse_safetensors(const char *label, const void *bytes, size_t n, tensor_file *f, char *err,
                                  size_t errlen);
int tensor_file_parse_npy(const char *label, const void *bytes, size_t n, tensor_file *f, char *err, size_t errlen);
int tensor_file_parse_npz(const char *label, const void *bytes, size_t n, tensor_file *f, char *err, size_t errlen);

/* Writes safetensors to a temporary file beside `path` and renames it: the file is whole or absent. */
int tensor_file_write(const char *path, const tensor_file *f, char *err, size_t errlen);

const tensor *tensor_file_find(const tensor_file *f, const char *name);
const char *tensor_file_meta(const tensor_file *f, const char *key); /* NULL if absent */
/* Appends a copy of the data (or of the text).  Returns 0, or -1 out of memory. */
int tensor_file_add(tensor_file *f, const char *name, tensor_dtype dtype, size_t rank, const size_t *dim,
                    const void *data);
int tensor_file_add_meta(tensor_file *f, const char *key, const char *value);
void tensor_file_clear(tensor_file *f);

double tensor_get(const tensor *t, size_t i); /* element i as a double; exact for all but huge I64 */

/* n elements of a dtype as doubles, each as tensor_get() has it.  `from` may be the end of the room of `to`. */
void tensor_widen(tensor_dtype dtype, size_t n, const void *from, double *to);

/* SHA-256 of a file as 64 lower-case hex digits and NUL. */
int tensor_file_sha256(const char *path, char hex[65], char *err, size_t errlen);

/* --- whole files, for everything that the command reads and writes --- */
/* Opens a regular file (anything else is refused) for reading: the descriptor and its size in *n, or -1. */
int regular_file_open(const char *path, size_t *n, char *err, size_t errlen);
/* Reads a regular file (anything else is refused, gently) into malloc'd memory, with a NUL after its last byte. */
int whole_file_read(const char *path, unsigned char **bytes, size_t *n, char *err, size_t errlen);
/* Writes the parts one after the other to a temporary file beside `path`, flushes it to the disk and renames it: the
 * file is whole or absent, and on an error nothing is left behind.  A device or a pipe is written to directly. */
typedef struct { const void *bytes; size_t n; } file_part;
int whole_file_write(const char *path, size_t parts, const file_part *part, char *err, size_t errlen);

/* --- where the tensors of a file are, for readers that do not want them all in memory --- */
typedef struct {
    char *name;
    char dtype_name[16]; /* as the file has it: "F32", "I32"; cut when longer */
    bool known;          /* dtype is one of those above */
    tensor_dtype dtype;
    size_t rank, dim[TENSOR_RANK], count;
    size_t begin, end;   /* its bytes in the file: the first, and the one after the last */
    bool swap, fortran;  /* bytes in the other order; first index fastest */
} tensor_place;
typedef struct {
    size_t tensors;
    tensor_place *t; /* in the file's order */
} tensor_layout;
void tensor_layout_clear(tensor_layout *l);
typedef enum { TENSOR_SAFETENSORS, TENSOR_NPY, TENSOR_NPZ } tensor_format;
tensor_format tensor_format_of(const void *head, size_t n); /* told by its first (at least 9, if there are) bytes */
/* The layout of a file of n bytes, of which the first `have` are at head.  Returns -1 with one line in err.  Returns 0 with
 * the layout if *need <= have; else nothing but *need is known: come again with that many bytes. */
int tensor_layout_safetensors(const char *label, const void *head, size_t have, size_t n, size_t *need,
                              tensor_layout *l, char *err, size_t errlen);
/* The same with the dtypes above only, and with the metadata, which are added to a file. */
int tensor_head_safetensors(const char *label, const void *head, size_t have, size_t n, size_t *need, tensor_layout *l,
                            tensor_file *metadata, char *err, size_t errlen);
/* The same for the one tensor of an .npy, or of an entry of an .npz; `name` is the tensor's. */
int tensor_layout_npy(const char *label, const char *name, const void *head, size_t have, size_t n, size_t *need,
                      tensor_layout *l, char *err, size_t errlen);

/* --- for readers of formats --- */
enum { TENSOR_QUOTED = 84 };
/* A name out of a file, quoted for an error of one line: printable ASCII as it is, \xNN for all else, cut when long. */
const char *tensor_quote(char out[TENSOR_QUOTED], const char *name);
/* Writes the line into err; always -1. */
int tensor_fail(char *err, size_t errlen, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The number of elements of a shape.  Returns -1 if a product of its dimensions (those that are 0 left out) times 8
 * does not fit in a ptrdiff_t. */
int tensor_count(size_t rank, const size_t *dim, size_t *count);
/* "[5,4]", for errors. */
enum { TENSOR_SHAPE = 24 * TENSOR_RANK };
const char *tensor_shape_text(char out[TENSOR_SHAPE], size_t rank, const size_t *dim);
/* "x.npy" of "a/x.npy" without ".npy": what its tensor is called.  malloc'd. */
char *tensor_stem(const char *path);
/* Reverses the bytes of each of count elements. */
void tensor_swap(void *bytes, size_t count, size_t size);
#define TENSOR_DTYPES "F64, F32, BF16, F16, I64"

#endif
