/* Verdicts in a file, as the job of an array leaves them: what `diff --shard I/N --out FILE` writes and `diff merge` reads.
 *
 * One JSON object (spec/formats.md, "Verdicts of a shard").  Reading is strict: every field is there and no other, each number
 * is within what the operation's record and the other fields allow. */
#ifndef SMOEREF_ORACLE_VERDICT_STORE_H
#define SMOEREF_ORACLE_VERDICT_STORE_H

#include "verdict.h"

typedef struct {
    size_t shard, shards; /* I of N, from 1 on */
    char manifest[65]; /* SHA-256 of manifest.json */
    char asked[65]; /* SHA-256 of the command line's choice: operations, conditions, roundoffs */
    char *suite;
    uint64_t seed;
    char *precision;
    bool forward, power;
    size_t total; /* cases that were asked for, of all shards */
    size_t cases; /* of this one: numbers shard-1, shard-1+shards, ... of these */
    verdict_case *c;
    bool exposed[TWIN_VARIANTS]; /* by index of twin_variants; all false without power */
} verdict_store;

/* How many of total cases shard I of N has. */
size_t verdict_store_share(size_t total, size_t shard, size_t shards);
/* All return 0, or -1 with one line in err. */
int verdict_store_write(const char *path, const verdict_store *s, const char *version, char *err, size_t errlen);
int verdict_store_read(const char *path, verdict_store *s, const char *version, char *err, size_t errlen);
int verdict_store_parse(const char *label, const void *bytes, size_t n, const char *version, verdict_store *s, char *err,
                        size_t errlen);
void verdict_store_clear(verdict_store *s);
/* The cases of all shards in their order, moved out of them: shards 1 to N, each once, of the same run.  malloc'd. */
int verdict_store_join(verdict_store *s, size_t n, const char *const *path, verdict_case **c, char *err, size_t errlen);

#endif
