/* See shards.h. */
#include "shards.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorfile.h"

static bool ends_in(const char *s, const char *end)
{
    const size_t n = strlen(s), m = strlen(end);
    return n > m && strcmp(s + n - m, end) == 0;
}

bool shards_named(const char *path) { return ends_in(path, ".safetensors.index.json"); }

/* "dir/FILE" for an index "dir/x.safetensors.index.json"; malloc'd. */
static char *beside(const char *index, const char *file)
{
    const char *slash = strrchr(index, '/');
    const size_t n = slash ? (size_t)(slash - index) + 1 : 0;
    char *path = malloc(n + strlen(file) + 1);
    if (!path) return NULL;
    memcpy(path, index, n);
    strcpy(path + n, file);
    return path;
}

static int by_name(const void *a, const void *b)
{
    const struct shard_tensor *s = a, *t = b;
    return strcmp(s->name, t->name);
}

static int against_name(const void *name, const void *b)
{
    const struct shard_tensor *t = b;
    return strcmp(name, t->name);
}

static int by_path(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* The number of a shard in the list; x->shards if it is not there. */
static size_t find_shard(const shard_index *x, const char *path)
{
    size_t i = 0;
    while (i < x->shards && strcmp(x->shard[i], path) != 0) i++;
    return i;
}

/* A file's name goes into messages as it is: printable ASCII. */
static bool is_printable(const char *s)
{
    while (*s >= 0x20 && *s < 0x7f) s++;
    return *s == '\0';
}

static int add_shard(shard_index *x, const char *file, char *err, size_t errlen)
{
    char q[TENSOR_QUOTED];
    if (!ends_in(file, ".safetensors") || strchr(file, '/') || !is_printable(file))
        return tensor_fail(
            err, errlen,
            "%s: shard %s: expected the name of a .safetensors file of the same folder, in printable ASCII", x->path,
            tensor_quote(q, file));
    char *path = beside(x->path, file);
    if (!path) return tensor_fail(err, errlen, "%s: out of memory", x->path);
    if (find_shard(x, path) < x->shards) {
        free(path);
        return 0;
    }
    if (x->shards == SHARDS) {
        free(path);
        return tensor_fail(err, errlen, "%s: more than %d shards", x->path, SHARDS);
    }
    x->shard[x->shards++] = path;
    return 0;
}

/* Shards first, so that they can be put in order, then the tensors. */
static int take_map(shard_index *x, json_t *map, char *err, size_t errlen)
{
    const char *name;
    json_t *file;
    if (!json_is_object(map) || json_object_size(map) == 0)
        return tensor_fail(err, errlen, "%s: expected \"weight_map\", an object of tensors and their files", x->path);
    x->shard = calloc(SHARDS, sizeof *x->shard);
    x->tensor = calloc(json_object_size(map), sizeof *x->tensor);
    if (!x->shard || !x->tensor) return tensor_fail(err, errlen, "%s: out of memory", x->path);
    json_object_foreach(map, name, file)
    {
        if (!json_is_string(file))
            return tensor_fail(err, errlen, "%s: weight_map: expected names of files only", x->path);
        if (add_shard(x, json_string_value(file), err, errlen) != 0) return -1;
    }
    qsort(x->shard, x->shards, sizeof *x->shard, by_path);
    json_object_foreach(map, name, file)
    {
        char *path = beside(x->path, json_string_value(file)), *copy = strdup(name);
        x->tensor[x->tensors].name = copy;
        x->tensor[x->tensors++].shard = path ? find_shard(x, path) : 0;
        free(path);
        if (!path || !copy) return tensor_fail(err, errlen, "%s: out of memory", x->path);
    }
    qsort(x->tensor, x->tensors, sizeof *x->tensor, by_name);
    return 0;
}

int shards_read(const char *path, shard_index *x, char *err, size_t errlen)
{
    unsigned char *bytes = NULL;
    size_t n = 0;
    json_error_t problem;
    *x = (shard_index){0};
    if (whole_file_read(path, &bytes, &n, err, errlen) != 0) return -1;
    json_t *root = json_loadb((const char *)bytes, n, JSON_REJECT_DUPLICATES, &problem);
    free(bytes);
    x->path = strdup(path);
    int status = 0;
    if (!x->path)
        status = tensor_fail(err, errlen, "%s: out of memory", path);
    else if (!root)
        status =
            tensor_fail(err, errlen, "%s: is not valid JSON: line %d, column %d", path, problem.line, problem.column);
    else
        status = take_map(x, json_object_get(root, "weight_map"), err, errlen);
    json_decref(root);
    if (status != 0) shards_clear(x);
    return status;
}

void shards_clear(shard_index *x)
{
    for (size_t i = 0; i < x->shards; i++) free(x->shard[i]);
    for (size_t i = 0; i < x->tensors; i++) free(x->tensor[i].name);
    free(x->shard);
    free(x->tensor);
    free(x->path);
    *x = (shard_index){0};
}

bool shards_has(const shard_index *x, size_t shard, const char *name)
{
    const struct shard_tensor *t = bsearch(name, x->tensor, x->tensors, sizeof *x->tensor, against_name);
    return t && t->shard == shard;
}

size_t shards_count(const shard_index *x, size_t shard)
{
    size_t n = 0;
    for (size_t i = 0; i < x->tensors; i++) n += x->tensor[i].shard == shard;
    return n;
}
