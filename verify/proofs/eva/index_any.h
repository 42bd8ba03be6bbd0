/* The index of a sharded file, as its reader gives it (shards_any.c): of INDEX shards, at most two, whose paths are any texts, and whose tensors any;
 * or it is refused. */
#include "shards.h"

#ifndef INDEX
#define INDEX 0
#endif

static char *any_shards[] = {any_texts[0], any_texts[1]};

static int any_index(shard_index *x, char *err, size_t errlen)
{
    static char path[] = "i";
    if (Frama_C_nondet(0, 1)) return any_message(err, errlen);
    any_text();
    *x = (shard_index){.path = path, .shards = INDEX, .shard = any_shards};
    return 0;
}
#define shards_read(path, x, err, errlen) (any_read(path), any_index((x), (err), (errlen)))
#define shards_has(x, i, name)            ((void)(x), (void)(i), any_read(name), Frama_C_nondet(0, 1))
#define shards_count(x, i)                ((void)(x), (void)(i), Frama_C_size_t_interval(0, SIZE_MAX))
#define shards_clear(x)                   ((void)(x))
