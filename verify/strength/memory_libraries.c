/* For MemorySanitizer (sanitize.sh), which sees the writes of the code that it compiled only: what libraries write that our
 * code reads, and what they read that must be defined.  The digests of bits.c are how every output and gradient is looked at;
 * before an operation runs, they are undefined. */
#include <nettle/sha2.h>
#include <sanitizer/msan_interface.h>

#include "op.h"

smoe_status __real_op_run(op_case *c);
smoe_status __wrap_op_run(op_case *c);

void __real_nettle_sha256_update(struct sha256_ctx *s, size_t n, const uint8_t *bytes);
void __wrap_nettle_sha256_update(struct sha256_ctx *s, size_t n, const uint8_t *bytes);
void __real_nettle_sha256_digest(struct sha256_ctx *s, size_t n, uint8_t *digest);
void __wrap_nettle_sha256_digest(struct sha256_ctx *s, size_t n, uint8_t *digest);

void __wrap_nettle_sha256_update(struct sha256_ctx *s, size_t n, const uint8_t *bytes)
{
    __msan_check_mem_is_initialized(bytes, n);
    __real_nettle_sha256_update(s, n, bytes);
}

void __wrap_nettle_sha256_digest(struct sha256_ctx *s, size_t n, uint8_t *digest)
{
    __real_nettle_sha256_digest(s, n, digest);
    __msan_unpoison(digest, n);
}

static void poison(const op_value *v)
{
    if (v->f64) __msan_poison(v->f64, v->count * sizeof *v->f64);
    if (v->i64) __msan_poison(v->i64, v->count * sizeof *v->i64);
}

smoe_status __wrap_op_run(op_case *c)
{
    for (size_t i = 0; c->op->out[i].name; i++) poison(&c->out[i]);
    for (size_t i = 0; c->op->in[i].name; i++) poison(&c->grad[i]);
    return __real_op_run(c);
}
