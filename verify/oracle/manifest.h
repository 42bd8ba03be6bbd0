/* manifest.json: what `smoeref gen` wrote into a folder, and what `smoeref diff` reads first.
 *
 *   {"smoeref": "0.1.0", "suite": "core", "seed": 1,
 *    "roundoff": {"arithmetic": "f32", "elementary": "4ulp", "tensors": {"weight": "f32+f32"}},   (optional, each of it too)
 *    "cases": [{"name": "gate.weights-ties", "op": "gate.weights", "parameters": {"k": 2, "order": "topk-softmax"},
 *               "flags": ["ties"], "sha256": {"prompt": "<64 hex digits>", "expected": "<64 hex digits>"}}]}
 *
 * Reading is strict: an unknown or missing field, a name that is not a plain file stem, or a name that occurs twice
 * is an error of one line.  The schema is spec/schema/manifest.json, the prose spec/formats.md.
 */
#ifndef SMOEREF_ORACLE_MANIFEST_H
#define SMOEREF_ORACLE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "roundoff.h"

#define MANIFEST_SEED_MAX UINT64_C(9007199254740991) /* 2^53 - 1: the same number in every reader of JSON */
enum { MANIFEST_NAME = 200, MANIFEST_FLAGS = 64 };    /* longest word; most flags of a case */

typedef struct {
    char *name;       /* a plain file stem: letters, digits and . _ - + = , not beginning with a dot, - or = */
    char *op;         /* "gate.weights" */
    char *parameters; /* a JSON object as text, canonical: {"k": 2, "order": "topk-softmax"} */
    size_t flags;
    char **flag;
    char prompt_sha256[65], expected_sha256[65]; /* 64 lower-case hex digits */
    char *prompt_blocks, *expected_blocks; /* of a large case: those of its files' blocks (digest.h); or NULL */
} manifest_case;

typedef struct {
    char *smoeref; /* the version that wrote it */
    char *suite;
    uint64_t seed;
    roundoff *roundoff; /* what answers are judged by besides the precision; NULL: nothing is said of it */
    size_t cases;
    manifest_case *c;
} manifest;

/* All return 0, or -1 with one line in err. */
int manifest_read(const char *path, manifest *m, char *err, size_t errlen);
int manifest_parse(const char *label, const void *bytes, size_t n, manifest *m, char *err, size_t errlen);
int manifest_write(const char *path, const manifest *m, char *err, size_t errlen); /* whole or absent */
int manifest_init(manifest *m, const char *version, const char *suite, uint64_t seed, char *err, size_t errlen);
/* Appends a copy, or nothing on an error.  parameters: a JSON object as text ("" or NULL is {}); flags:
 * comma-separated as in op_spec ("" is none). */
int manifest_add(manifest *m, const char *name, const char *op, const char *parameters, const char *flags,
                 const char *prompt_sha256, const char *expected_sha256, char *err, size_t errlen);
/* The digests of the blocks of the case that was added last, as in digest.h. */
int manifest_add_blocks(manifest *m, const char *prompt, const char *expected, char *err, size_t errlen);
void manifest_clear(manifest *m);

bool manifest_has_flag(const manifest_case *c, const char *flag);
bool manifest_name_ok(const char *name);

/* Between the parameters of a file (a flat JSON object: values are strings, integers or finite reals) and the text
 * that op_case_new() takes ("k=2,order=topk-softmax").  *out is malloc'd.  Reals are printed with the fewest digits
 * that read back as the same double, so text -> JSON -> text is the identity on values. */
int manifest_parameters_to_set(const char *label, const char *json, char **out, char *err, size_t errlen);
int manifest_set_to_parameters(const char *label, const char *set, char **out, char *err, size_t errlen);
/* The fewest digits that read back as the same finite double; with a point or an exponent, so that a real stays a real for
 * every reader of JSON. */
void manifest_real_text(char out[40], double x);

#endif
