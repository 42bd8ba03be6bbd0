/* Digests of a file's blocks, whatever its size and its bytes, and whatever a manifest has for it. */
#include "any.h"
#include "files_any.h"
#include "nettle_any.h"

static int any_regular(size_t *n)
{
    *n = Frama_C_size_t_interval(0, LLONG_MAX - 1);
    return Frama_C_interval(-1, 1023);
}
#define regular_file_open(path, n, err, errlen) any_regular(n)
#include "digest.c"

static char err[64], want[BLOCKS * DIGEST_HEX + 1];

int main(void)
{
    block_digests d;
    if (block_digests_open("file", &d, err, sizeof err) != 0) return 0;
    Frama_C_make_unknown(want, BLOCKS * DIGEST_HEX);
    if (d.blocks == BLOCKS) block_digests_check(&d, Frama_C_size_t_interval(0, BLOCKS - 1), want, err, sizeof err);
    block_digests_close(&d);
    return 0;
}
