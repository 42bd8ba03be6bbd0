/* The index of a sharded safetensors file: NAME.safetensors.index.json beside its shards, as the libraries of Hugging Face
 * write it,  {"metadata": {...}, "weight_map": {"TENSOR": "NAME-00001-of-00002.safetensors", ...}}.
 *
 * It is hostile like every other file: a shard is a file of the same folder whose name ends in .safetensors, and holds
 * exactly the tensors that the index says. */
#ifndef SMOEREF_ORACLE_SHARDS_H
#define SMOEREF_ORACLE_SHARDS_H

#include <stdbool.h>
#include <stddef.h>

enum { SHARDS = 1024 }; /* at most */

typedef struct {
    char *path; /* of the index */
    size_t shards, tensors;
    char **shard; /* paths, by name */
    struct shard_tensor {
        char *name;
        size_t shard;
    } * tensor; /* by name */
} shard_index;

bool shards_named(const char *path); /* is this the name of an index? */
/* 0, or -1 with one line in err and nothing to clear. */
int shards_read(const char *path, shard_index *x, char *err, size_t errlen);
void shards_clear(shard_index *x);
/* Is this tensor of this shard one that the index puts there? */
bool shards_has(const shard_index *x, size_t shard, const char *name);
size_t shards_count(const shard_index *x, size_t shard); /* tensors that the index puts there */

#endif
