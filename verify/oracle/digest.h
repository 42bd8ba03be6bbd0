/* The digests of a large file's blocks.  They can be checked by several threads, in any order, and only those that are read:
 * which the SHA-256 of the whole file does not allow (tensor_file_sha256). */
#ifndef SMOEREF_ORACLE_DIGEST_H
#define SMOEREF_ORACLE_DIGEST_H

#include <stddef.h>

enum { DIGEST_BLOCK = 1 << 20 }; /* bytes; the last block may have fewer, and an empty file has none */
enum { DIGEST_LARGE = 1 << 21 }; /* a case with a file of at least as many bytes has such digests in its manifest */
enum { DIGEST_HEX = 64 };        /* hex digits of a block */

typedef struct {
    char *path;
    int fd;
    size_t size, blocks;
} block_digests;

/* All return 0, or -1 with one line in err. */
int block_digests_open(const char *path, block_digests *d, char *err, size_t errlen);
int block_digests_hex(const block_digests *d, size_t i, char hex[DIGEST_HEX + 1], char *err, size_t errlen);
/* Is block i what it was?  want: the digits of all blocks, one after the other. */
int block_digests_check(const block_digests *d, size_t i, const char *want, char *err, size_t errlen);
void block_digests_close(block_digests *d);
/* Those of all blocks of a file, one after the other: malloc'd; NULL with one line in err. */
char *file_block_digests(const char *path, char *err, size_t errlen);

#endif
