/* nettle, as a reader may find it: a digest is any bytes, of bytes that must be there. */
#include <nettle/sha2.h>

static void any_update(struct sha256_ctx *s, size_t n, const unsigned char *bytes)
{
    (void)s;
    any_bytes(bytes, n);
}

static void any_digest(struct sha256_ctx *s, size_t n, unsigned char *digest)
{
    (void)s;
    Frama_C_make_unknown((char *)digest, n);
}
#define nettle_sha256_init(s) ((void)(s))
#define nettle_sha256_update  any_update
#define nettle_sha256_digest  any_digest
