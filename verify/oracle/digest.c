/* See digest.h. */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif

#include "digest.h"

#include <errno.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tensorfile.h"

int block_digests_open(const char *path, block_digests *d, char *err, size_t errlen)
{
    *d = (block_digests){.fd = -1};
    d->fd = regular_file_open(path, &d->size, err, errlen);
    if (d->fd < 0) return -1;
    d->blocks = d->size / DIGEST_BLOCK + (d->size % DIGEST_BLOCK != 0);
    d->path = strdup(path);
    if (d->path) return 0;
    block_digests_close(d);
    return tensor_fail(err, errlen, "%s: out of memory", path);
}

int block_digests_hex(const block_digests *d, size_t i, char hex[DIGEST_HEX + 1], char *err, size_t errlen)
{
    unsigned char bytes[1 << 16], digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx context;
    const size_t begin = i * DIGEST_BLOCK, end = d->size - begin < DIGEST_BLOCK ? d->size : begin + DIGEST_BLOCK;
    sha256_init(&context);
    for (size_t at = begin; at < end;) {
        const ssize_t got = pread(d->fd, bytes, end - at < sizeof bytes ? end - at : sizeof bytes, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return tensor_fail(err, errlen, "%s: cannot be read: %s", d->path, strerror(errno));
        if (got == 0)
            return tensor_fail(err, errlen, "%s: changed while it was read: expected %zu bytes, found %zu", d->path,
                               d->size, at);
        sha256_update(&context, (size_t)got, bytes);
        at += (size_t)got;
    }
    sha256_digest(&context, sizeof digest, digest);
    for (size_t k = 0; k < sizeof digest; k++) snprintf(hex + 2 * k, 3, "%02x", digest[k]);
    return 0;
}

int block_digests_check(const block_digests *d, size_t i, const char *want, char *err, size_t errlen)
{
    char hex[DIGEST_HEX + 1];
    if (block_digests_hex(d, i, hex, err, errlen) != 0) return -1;
    if (memcmp(hex, want + i * DIGEST_HEX, DIGEST_HEX) == 0) return 0;
    return tensor_fail(err, errlen,
                       "%s: has changed since the manifest was written (SHA-256 of block %zu is %.12s..., expected "
                       "%.12s...)",
                       d->path, i, hex, want + i * DIGEST_HEX);
}

void block_digests_close(block_digests *d)
{
    if (d->fd >= 0) close(d->fd);
    free(d->path);
    *d = (block_digests){.fd = -1};
}

char *file_block_digests(const char *path, char *err, size_t errlen)
{
    block_digests d;
    if (block_digests_open(path, &d, err, errlen) != 0) return NULL;
    char *all = malloc(d.blocks * DIGEST_HEX + 1);
    int status = all ? 0 : tensor_fail(err, errlen, "%s: out of memory", path);
    if (all) *all = '\0';
    for (size_t i = 0; i < d.blocks && status == 0; i++)
        status = block_digests_hex(&d, i, all + i * DIGEST_HEX, err, errlen);
    block_digests_close(&d);
    if (status == 0) return all;
    free(all);
    return NULL;
}
