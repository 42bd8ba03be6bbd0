/* See tensorview.h. */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif

#include "tensorview.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shards.h"

/* --- reading bytes ----------------------------------------------------------------------------------------------- */

static int read_at(const struct tensor_view_file *f, size_t at, void *to, size_t n, char *err, size_t errlen)
{
    unsigned char *bytes = to;
    for (size_t got = 0; got < n;) {
        const ssize_t r = pread(f->fd, bytes + got, n - got, (off_t)(at + got));
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return tensor_fail(err, errlen, "%s: cannot be read: %s", f->path, strerror(errno));
        if (r == 0)
            return tensor_fail(err, errlen, "%s: changed while it was read: expected %zu bytes, found %zu", f->path,
                               f->size, at + got);
        got += (size_t)r;
    }
    return 0;
}

/* --- opening ----------------------------------------------------------------------------------------------------- */

typedef int layout_of(const char *label, const void *head, size_t have, size_t n, size_t *need, tensor_layout *l,
                      tensor_file *metadata, char *err, size_t errlen);

static int npy_layout(const char *label, const void *head, size_t have, size_t n, size_t *need, tensor_layout *l,
                      tensor_file *metadata, char *err, size_t errlen)
{
    (void)metadata;
    char *stem = tensor_stem(label);
    if (!stem) return tensor_fail(err, errlen, "%s: out of memory", label);
    const int status = tensor_layout_npy(label, stem, head, have, n, need, l, err, errlen);
    free(stem);
    return status;
}

/* Asks for the layout with as many of the first bytes as it needs. */
static int read_layout(struct tensor_view_file *f, layout_of *of, tensor_layout *l, tensor_file *metadata,
                       char *err, size_t errlen)
{
    unsigned char *bytes = NULL;
    size_t have = 0, need = 0;
    int status = 0;
    for (;;) {
        status = of(f->path, bytes, have, f->size, &need, l, metadata, err, errlen);
        if (status != 0 || need <= have) break;
        unsigned char *grown = realloc(bytes, need);
        if (!grown) {
            status = tensor_fail(err, errlen, "%s: out of memory for its header", f->path);
            break;
        }
        bytes = grown;
        status = read_at(f, have, bytes + have, need - have, err, errlen);
        if (status != 0) break;
        have = need;
    }
    f->header = need;
    free(bytes);
    return status;
}

/* The tensors of a layout become the view's; their names are moved. */
static int take_layout(tensor_view *v, tensor_layout *l, char *err, size_t errlen)
{
    v->head.t = calloc(l->tensors + 1, sizeof *v->head.t);
    v->place = calloc(l->tensors + 1, sizeof *v->place);
    if (!v->head.t || !v->place) return tensor_fail(err, errlen, "%s: out of memory", v->file->path);
    for (size_t i = 0; i < l->tensors; i++) {
        tensor_place *p = &l->t[i];
        tensor *t = &v->head.t[i];
        *t = (tensor){.name = p->name, .dtype = p->dtype, .rank = p->rank, .count = p->count};
        memcpy(t->dim, p->dim, sizeof t->dim);
        v->place[i] = (struct tensor_view_place){0, p->begin, p->swap};
        p->name = NULL;
        v->head.tensors++;
        if (p->fortran && p->rank > 1) return 1;
    }
    return 0;
}

static int open_one(const char *path, tensor_view *v, char *err, size_t errlen)
{
    unsigned char magic[9];
    tensor_layout l = {0};
    *v = (tensor_view){0};
    v->file = calloc(1, sizeof *v->file);
    char *copy = strdup(path);
    if (v->file) v->file->path = copy;
    if (!v->file || !copy) {
        free(v->file ? NULL : copy);
        tensor_view_close(v);
        return tensor_fail(err, errlen, "%s: out of memory", path);
    }
    v->files = 1;
    v->file->fd = regular_file_open(path, &v->file->size, err, errlen);
    const size_t n = v->file->size < sizeof magic ? v->file->size : sizeof magic;
    int status = v->file->fd < 0 ? -1 : read_at(v->file, 0, magic, n, err, errlen);
    const tensor_format format = status == 0 ? tensor_format_of(magic, n) : TENSOR_SAFETENSORS;
    if (status == 0 && format == TENSOR_NPZ) status = 1;
    if (status == 0)
        status = read_layout(v->file, format == TENSOR_NPY ? npy_layout : tensor_head_safetensors, &l, &v->head, err,
                             errlen);
    if (status == 0) status = take_layout(v, &l, err, errlen);
    tensor_layout_clear(&l);
    if (status != 0) tensor_view_close(v);
    return status;
}

/* A shard must have the tensors that the index puts there, and no others. */
static int check_shard(const shard_index *x, size_t shard, const tensor_view *v, char *err, size_t errlen)
{
    char q[TENSOR_QUOTED];
    for (size_t i = 0; i < v->head.tensors; i++)
        if (!shards_has(x, shard, v->head.t[i].name))
            return tensor_fail(err, errlen, "%s: tensor %s is not where %.150s says", x->shard[shard],
                               tensor_quote(q, v->head.t[i].name), x->path);
    if (v->head.tensors == shards_count(x, shard)) return 0;
    return tensor_fail(err, errlen, "%s: %zu tensors, expected %zu by %.150s", x->shard[shard], v->head.tensors,
                       shards_count(x, shard), x->path);
}

static int open_shards(const char *path, tensor_view *v, char *err, size_t errlen)
{
    shard_index x;
    *v = (tensor_view){0};
    if (shards_read(path, &x, err, errlen) != 0) return -1;
    int status = 0;
    for (size_t i = 0; i < x.shards && status == 0; i++) {
        tensor_view part;
        status = open_one(x.shard[i], &part, err, errlen);
        if (status != 0) break;
        status = check_shard(&x, i, &part, err, errlen);
        if (status == 0 && tensor_view_take(v, &part) != 0)
            status = tensor_fail(err, errlen, "%s: out of memory", path);
        tensor_view_close(&part);
    }
    shards_clear(&x);
    if (status != 0) tensor_view_close(v);
    return status;
}

int tensor_view_open(const char *path, tensor_view *v, char *err, size_t errlen)
{
    return shards_named(path) ? open_shards(path, v, err, errlen) : open_one(path, v, err, errlen);
}

int tensor_view_take(tensor_view *v, tensor_view *from)
{
    struct tensor_view_file *file = realloc(v->file, (v->files + from->files + 1) * sizeof *file);
    if (file) v->file = file;
    tensor *t = realloc(v->head.t, (v->head.tensors + from->head.tensors + 1) * sizeof *t);
    if (t) v->head.t = t;
    struct tensor_view_place *place =
        realloc(v->place, (v->head.tensors + from->head.tensors + 1) * sizeof *place);
    if (place) v->place = place;
    if (!file || !t || !place) return -1;
    for (size_t i = 0; i < from->head.tensors; i++) {
        t[v->head.tensors + i] = from->head.t[i];
        place[v->head.tensors + i] = from->place[i];
        place[v->head.tensors + i].file += v->files;
    }
    for (size_t i = 0; i < from->files; i++) file[v->files + i] = from->file[i];
    v->head.tensors += from->head.tensors;
    v->files += from->files;
    from->head.tensors = from->files = 0;
    tensor_view_close(from);
    return 0;
}

void tensor_view_close(tensor_view *v)
{
    for (size_t i = 0; i < v->files; i++) {
        if (v->file[i].fd >= 0) close(v->file[i].fd);
        free(v->file[i].path);
    }
    free(v->file);
    free(v->place);
    tensor_file_clear(&v->head);
    *v = (tensor_view){0};
}

size_t tensor_view_find(const tensor_view *v, const char *name)
{
    size_t i = 0;
    while (i < v->head.tensors && strcmp(v->head.t[i].name, name) != 0) i++;
    return i;
}

/* --- elements ---------------------------------------------------------------------------------------------------- */

static int read_elements(const tensor_view *v, size_t t, size_t first, size_t n, void *to, char *err, size_t errlen)
{
    const struct tensor_view_place *p = &v->place[t];
    const size_t size = tensor_dtype_size(v->head.t[t].dtype);
    if (read_at(&v->file[p->file], p->begin + first * size, to, n * size, err, errlen) != 0) return -1;
    if (p->swap) tensor_swap(to, n, size);
    return 0;
}

int tensor_view_integers(const tensor_view *v, size_t t, size_t first, size_t n, int64_t *to, char *err, size_t errlen)
{
    return read_elements(v, t, first, n, to, err, errlen);
}

int tensor_view_doubles(const tensor_view *v, size_t t, size_t first, size_t n, double *to, char *err, size_t errlen)
{
    const tensor_dtype dtype = v->head.t[t].dtype;
    if (dtype == TENSOR_F64) return read_elements(v, t, first, n, to, err, errlen);
    /* Narrow elements go to the end of the room and are widened from there, each before it is overwritten. */
    unsigned char *narrow = (unsigned char *)to + n * (sizeof *to - tensor_dtype_size(dtype));
    if (read_elements(v, t, first, n, narrow, err, errlen) != 0) return -1;
    tensor_widen(dtype, n, narrow, to);
    return 0;
}
