/* See text.h. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "text.h"

static void fill_weights(op_case *c, op_rng *r)
{
    static const struct {
        const char *name;
        double variance;
        char fan_in; /* a size that divides the variance, or '\0' */
    } weight[] = {
        {"wr", 4, 'd'},         {"br", 1.0 / 16, '\0'}, {"w1", 2, 'd'},
        {"b1", 1.0 / 16, '\0'}, {"w2", 18, 'h'},        {"b2", 0.25, '\0'},
    };
    for (size_t i = 0; i < sizeof weight / sizeof *weight; i++) {
        const double fan_in = weight[i].fan_in ? (double)op_dim(c, weight[i].fan_in) : 1;
        for (size_t j = 0; c->op->in[j].name; j++)
            if (strcmp(c->op->in[j].name, weight[i].name) == 0)
                op_fill_normal(r, sqrt(weight[i].variance / fan_in), c->in[j].count, c->in[j].f64);
    }
}

#define SIZES "T=256,d=64,N=8,h=128"
const text_case text_cases[] = {
    {"layer.smoe",
     {"text", "text", SIZES, "k=2", "text", "bytes of a text file through a mixture of 8 experts", fill_weights}},
    {"compete.layer",
     {"text", "text", SIZES, "k=2,compete=yes", "text", "bytes of a text file: a competition step", fill_weights}},
    {"compete.layer",
     {"text-router", "text", SIZES, "k=2,compete=no", "text", "bytes of a text file: a step of the router",
      fill_weights}},
    {NULL, {NULL, NULL, NULL, NULL, NULL, NULL, NULL}},
};

/* The byte at an offset, or -1. */
static int byte_at(FILE *f, long long offset) { return fseeko(f, (off_t)offset, SEEK_SET) == 0 ? getc(f) : -1; }

static int embed(FILE *f, long long length, const double *e, double *x)
{
    for (long long t = 0; t < TEXT_T; t++) {
        /* floor((2 t + 1) L / (2 T)) without forming the product, which could overflow for a file of exabytes */
        const long long step = length / (2 * TEXT_T), rest = length % (2 * TEXT_T);
        const long long p = (2 * t + 1) * step + (2 * t + 1) * rest / (2 * TEXT_T);
        double *row = x + t * TEXT_D;
        for (long long back = 0; back < 3 && back <= p; back++) {
            const int b = byte_at(f, p - back);
            if (b < 0) return -1;
            for (int i = 0; i < TEXT_D; i++) row[i] += ldexp(e[b * TEXT_D + i], (int)-back);
        }
        for (int i = 0; i < TEXT_D; i++) row[i] = op_representable(row[i]);
    }
    return 0;
}

int text_activations(const char *path, uint64_t seed, double *x, char *err, size_t errlen)
{
    struct stat s;
    FILE *f = fopen(path, "rb");
    if (!f || fstat(fileno(f), &s) != 0 || !S_ISREG(s.st_mode) || s.st_size == 0) {
        snprintf(err, errlen, "%s: %s, expected a text file", path,
                 !f                    ? strerror(errno)
                 : !S_ISREG(s.st_mode) ? "not a regular file"
                                       : "is empty");
        if (f) fclose(f);
        return -1;
    }
    double *e = calloc(256 * TEXT_D, sizeof *e);
    int bad = e ? 0 : -1;
    if (e) {
        op_rng *r = op_rng_new(seed, "text/embedding");
        op_fill_normal(r, 1, 256 * TEXT_D, e);
        op_rng_free(r);
        memset(x, 0, TEXT_T * TEXT_D * sizeof *x);
        bad = embed(f, (long long)s.st_size, e, x);
    }
    if (bad) snprintf(err, errlen, "%s: cannot be read", path);
    free(e);
    fclose(f);
    return bad;
}
