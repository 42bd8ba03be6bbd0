/* A text file's bytes through the embedding: a file of any length below 2^62, any byte or an error wherever it is read. */
#include "any.h"
#define FILE_SIZE Frama_C_long_interval(0, 1L << 62)
#include "files_any.h"

#include <stdio.h>

#include "op.h"

#define fopen(path, mode) (Frama_C_nondet(0, 1) ? NULL : stdin)
#define fclose(f)         ((void)(f))
#define fileno(f)         ((void)(f), 3)
static int any_byte_at(FILE *f)
{
    (void)f;
    return Frama_C_interval(-1, 255);
}
#define fseeko any_seek
static int any_seek(FILE *f, off_t at, int whence)
{
    (void)f;
    (void)whence;
    /*@ assert from_the_start: at >= 0; */
    return Frama_C_nondet(-1, 0);
}
#undef getc
#define getc any_byte_at
static op_rng *any_draws(void) { return NULL; }
#define op_rng_new(seed, name)          any_draws()
#define op_rng_free(r)                  ((void)(r))
#define op_fill_normal(r, scale, n, to) Frama_C_make_unknown((char *)(to), (n) * sizeof *(to))
#define op_representable(x)             (x)

#include "text.c"

static double x[TEXT_T * TEXT_D];
static char err[64];

int main(void)
{
    text_activations("file", 1, x, err, sizeof err);
    return 0;
}
