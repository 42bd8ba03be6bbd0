/* Dumps: matrices of samples and features in safetensors, .npy and .npz files, read a block of rows at a time.
 *
 * A tensor [n,p] is one matrix, a tensor [N,n,p] (or [n,N,p]) is N of them.  Files are hostile here too (tensorfile.h);
 * only headers are read when a dump is opened, and no more memory is taken than they and one block of rows need.  Every
 * error is one line that names file and tensor.  The index of a sharded file (shards.h) stands for its shards.
 */
#ifndef SMOEREF_ORACLE_DUMP_H
#define SMOEREF_ORACLE_DUMP_H

#include "tensorfile.h"

typedef struct dump_source dump_source; /* an open file */
typedef struct dump_stream dump_stream; /* a place in a compressed tensor */

typedef struct {
    char *label; /* what it is called in tables: unique in its dump */
    const char *path; /* the file */
    const char *tensor; /* its name there */
    size_t index; /* which of the matrices of a tensor of three dimensions */
    bool indexed; /* is it one of several? */
    tensor_dtype dtype;
    size_t n, p;
    /* where it is: element (t, k) is number start + t row + k column of the tensor */
    size_t start, row, column, place;
    dump_source *source;
    dump_stream *stream;
} dump_matrix;

typedef struct {
    size_t matrices, sources, left_out;
    dump_matrix *matrix;
    dump_source **source;
    char **left; /* tensors that a pattern would have taken, but that are no matrices: "ids (I64 [20000,2])" */
} dump;

enum { DUMP_MATRICES = 1024 }; /* at most */

typedef struct {
    size_t patterns;
    const char *const *pattern; /* names, or patterns with * ? [...]; none: every tensor */
    bool second; /* the second of three dimensions counts the matrices, not the first */
    bool integers; /* I64 [n,p] or [n] instead of floating point */
} dump_choice;

/* Matrices in the order of the files; within a file in that of the patterns, and then by name with numbers in their
 * order (expert.2 before expert.10).  The matrices may differ in n and p.  0, or -1 with one line in err, and then there
 * is nothing to close. */
int dump_open(dump *d, size_t files, const char *const *path, const dump_choice *choice, char *err, size_t errlen);
void dump_close(dump *d);

/* Rows row .. row+rows-1 of matrix i to x [rows,p], exactly converted.  Those of a compressed tensor are cheap in
 * ascending order only.  A value that is not finite is an error that names its row and column.  0, or -1. */
int dump_read(dump *d, size_t i, size_t row, size_t rows, double *x, char *err, size_t errlen);

#endif
