/* Tensors that stay in their files and are read a piece at a time: safetensors, an .npy, or the shards of an index.
 *
 * Files are hostile here too (tensorfile.h).  Pieces are read with pread(), so that a file that somebody cuts off meanwhile is
 * an error and no signal, and any number of threads may read at once. */
#ifndef SMOEREF_ORACLE_TENSORVIEW_H
#define SMOEREF_ORACLE_TENSORVIEW_H

#include "tensorfile.h"

typedef struct {
    size_t files;
    struct tensor_view_file {
        char *path;
        int fd;
        size_t size, header; /* bytes; those before the first tensor's */
    } * file;
    tensor_file head; /* names, types, shapes and metadata as a file in memory would have them; data is NULL */
    struct tensor_view_place {
        size_t file, begin; /* its first byte */
        bool swap;
    } * place; /* by tensor of head */
} tensor_view;

/* 0; -1 with one line in err; 1 if a file cannot be read in pieces (.npz, or an .npy in Fortran order of more than one
 * dimension).  If it is not 0 there is nothing to close. */
int tensor_view_open(const char *path, tensor_view *v, char *err, size_t errlen);
/* The tensors of another view, of a folder's .npy files for example, are added to v; `from` is empty then.  0, or -1. */
int tensor_view_take(tensor_view *v, tensor_view *from);
void tensor_view_close(tensor_view *v);
size_t tensor_view_find(const tensor_view *v, const char *name); /* number in head.t; head.tensors if it is not there */

/* Elements first .. first+n-1 of tensor t: as doubles, exactly converted (not of I64), and of I64 as they are.
 * 0, or -1 with one line in err. */
int tensor_view_doubles(const tensor_view *v, size_t t, size_t first, size_t n, double *to, char *err, size_t errlen);
int tensor_view_integers(const tensor_view *v, size_t t, size_t first, size_t n, int64_t *to, char *err, size_t errlen);

#endif
