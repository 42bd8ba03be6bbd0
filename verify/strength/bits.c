/* Evaluates the reference on the generated cases and prints the SHA-256 of every output and gradient, bit by bit:
 * one line an operation (all its cases), and last the digest of them all; with --machine, what machine this is instead.
 * Used by bits.sh and qemu.sh, which compare builds. */
#include <float.h>
#include <inttypes.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "op.h"

enum { SEEDS = 3 };

/* Eight bytes, least significant first: the digest does not depend on the byte order of the machine. */
static void feed(struct sha256_ctx *s, uint64_t bits)
{
    uint8_t byte[8];
    for (size_t i = 0; i < 8; i++) byte[i] = (uint8_t)(bits >> (8 * i));
    sha256_update(s, sizeof byte, byte);
}

static void feed_value(struct sha256_ctx *s, const op_value *v)
{
    for (size_t i = 0; i < v->count; i++) {
        uint64_t bits;
        if (v->f64)
            memcpy(&bits, &v->f64[i], sizeof bits);
        else if (v->i64)
            memcpy(&bits, &v->i64[i], sizeof bits);
        else
            break;
        feed(s, bits);
    }
}

static void feed_case(struct sha256_ctx *s, const op_case *c, smoe_status status)
{
    feed(s, (uint64_t)status);
    if (status != SMOE_OK) return;
    for (size_t i = 0; c->op->out[i].name; i++) feed_value(s, &c->out[i]);
    for (size_t i = 0; c->op->in[i].name; i++) feed_value(s, &c->grad[i]);
}

static void print_digest(const char *label, struct sha256_ctx *s)
{
    uint8_t d[SHA256_DIGEST_SIZE];
    sha256_digest(s, sizeof d, d);
    printf("%s ", label);
    for (size_t i = 0; i < sizeof d; i++) printf("%02x", d[i]);
    putchar('\n');
}

/* What of the machine may matter to the bits. */
static void print_machine(void)
{
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    printf(
        "%s-endian, %zu-bit pointers, %zu-bit long, long double with a %d-bit significand, products by the %s kernel\n",
        first ? "little" : "big", 8 * sizeof(void *), 8 * sizeof(long), LDBL_MANT_DIG, smoe_matmul_kernel(0));
}

int main(int argc, char **argv)
{
    const char *what = "";
    if (argc == 2 && strcmp(argv[1], "--machine") == 0) {
        print_machine();
        return 0;
    }
    if (smoe_selftest(&what) != SMOE_OK) {
        fprintf(stderr, "bits: %s\n", what);
        return 4;
    }
    struct sha256_ctx all;
    sha256_init(&all);
    for (size_t o = 0; op_registry[o]; o++) {
        const op_record *op = op_registry[o];
        struct sha256_ctx mine;
        sha256_init(&mine);
        for (const op_spec *spec = op->cases; spec->name; spec++)
            for (uint64_t seed = 1; seed <= SEEDS; seed++) {
                char err[256];
                op_case *c = op_case_from_spec(op, spec, seed, err, sizeof err);
                if (!c) {
                    fprintf(stderr, "bits: %s.%s: %s\n", op->id, spec->name, err);
                    return 1;
                }
                smoe_status status = op_run(c);
                feed_case(&mine, c, status);
                feed_case(&all, c, status);
                op_case_free(c);
            }
        print_digest(op->id, &mine);
    }
    print_digest("smoeref-core", &all);
    return 0;
}
