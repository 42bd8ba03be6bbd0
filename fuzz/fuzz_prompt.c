/* A prompt of arbitrary bytes, as `smoeref eval` and `diff` read it: refused with a line, or a case whose values are all
 * finite, that the reference computes or refuses, and that reads back as itself. */
#include <ctype.h>
#include <math.h>

#include "fuzz.h"
#include "op.h"
#include "prompt.h"

enum { MOST_ELEMENTS = 1 << 16 };

static void check_finite(const char *name, const op_value *v)
{
    for (size_t i = 0; v->f64 != NULL && i < v->count; i++)
        if (!isfinite(v->f64[i])) FINDING("%s[%zu] is not finite in an accepted prompt", name, i);
}

static bool same(const op_value *a, const op_value *b)
{
    const void *x = a->f64 ? (const void *)a->f64 : a->i64, *y = b->f64 ? (const void *)b->f64 : b->i64;
    return a->rank == b->rank && a->count == b->count && memcmp(a->dim, b->dim, a->rank * sizeof *a->dim) == 0 &&
           (!x || !y || memcmp(x, y, a->count * sizeof(double)) == 0);
}

static void compare(const op_case *a, const op_case *b)
{
    if (a->op != b->op) FINDING("another operation after a round trip");
    for (size_t i = 0; i < OP_PARAMS; i++)
        if (memcmp(&a->number[i], &b->number[i], sizeof a->number[i]) != 0 ||
            (a->choice[i] && strcmp(a->choice[i], b->choice[i]) != 0))
            FINDING("%s: another %s after a round trip", a->op->id, a->op->param[i].name);
    for (size_t i = 0; a->op->in[i].name; i++)
        if (!same(&a->in[i], &b->in[i])) FINDING("another %s after a round trip", a->op->in[i].name);
    for (size_t i = 0; a->op->out[i].name; i++)
        if (!same(&a->cot[i], &b->cot[i])) FINDING("another d_%s after a round trip", a->op->out[i].name);
}

/* Written as a prompt and read again. */
static void round_trip(const op_case *c, const char *name)
{
    char err[TENSOR_ERROR];
    tensor_file f;
    memset(&f, 0, sizeof f);
    if (op_add_prompt(&f, c, name) != 0) FINDING("%s: no prompt can be made of it", c->op->id);
    if (tensor_file_write(scratch_file(), &f, err, sizeof err) != 0) FINDING("%s", err);
    op_case *again = op_case_from_prompt(scratch_file(), NULL, NULL, NULL, NULL, err, sizeof err);
    if (!again) FINDING("its own prompt is refused: %s", err);
    compare(c, again);
    op_case_free(again);
    tensor_file_clear(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char err[TENSOR_ERROR] = "", *name = NULL;
    size_t cotangents = 0, elements = 0;
    FILE *file = fopen(scratch_file(), "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) FINDING("no room for a file");
    op_case *c = op_case_from_prompt(scratch_file(), NULL, NULL, &name, &cotangents, err, sizeof err);
    if (c) {
        for (size_t i = 0; i < OP_TENSORS; i++) elements += c->in[i].count + c->out[i].count;
        for (size_t i = 0; c->op->in[i].name; i++) check_finite(c->op->in[i].name, &c->in[i]);
        for (size_t i = 0; c->op->out[i].name; i++) check_finite(c->op->out[i].name, &c->cot[i]);
        if (elements <= MOST_ELEMENTS) {
            round_trip(c, name);
            op_run(c); /* whatever it says: the sanitizers watch */
        }
    } else {
        if (*err == '\0') FINDING("a prompt is refused without a word");
        for (const char *s = err; *s; s++)
            if (iscntrl((unsigned char)*s)) FINDING("an error with a byte %d in it", *s);
    }
    op_case_free(c);
    free(name);
    unlink(scratch_file());
    return 0;
}
