/* Every operation of the registry on sizes, parameters and values that the bytes spell: the reference must be where
 * the twin says that a binary64 evaluation can be, must refuse what is to be refused, and must refuse nothing else.
 *
 *   2 bytes       the operation, by the hash of its id: the next one that there is (an input that was made for an
 *                 operation stays with it when others are added)
 *   then          a byte for each size (see draw_size), one or two for each parameter, and for each input and each
 *                 cotangent a byte for the kind of values (see draw_values) and bytes for the values
 *
 * Bytes that are not there are zeros, so every input means something.
 */
#include "fuzz.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>

#include "domains.h"
#include "op.h"
#include "twin.h"

/* No more elements than this in a case: the twin costs microseconds each. */
enum { MOST_ELEMENTS = 800, TWIN_BITS = 128 };

typedef struct {
    const uint8_t *at, *end;
} bytes;

static unsigned next(bytes *b) { return b->at < b->end ? *b->at++ : 0; }

/* 0 to 4 mostly (0 rarely), now and then more than a block of the matrix product has rows. */
static unsigned draw_size(bytes *b)
{
    static const unsigned size[16] = {2, 3, 4, 1, 2, 3, 4, 1, 5, 2, 3, 0, 7, 9, 17, 26};
    return size[next(b) % 16];
}

/* Sizes that an operation takes few of if they are drawn as all others are, or whose twin takes seconds for many: at most `most`,
 * then size * times + more. */
static unsigned draw_size_of(bytes *b, const op_record *op, char dim)
{
    static const struct {
        const char *op;
        char dim;
        unsigned most, times, more;
    } own[] = {{"similarity.minibatch", 'n', 26, 4, 0}, {"convergence.oracle", 'n', 26, 4, 0},
               {"convergence.em", 'n', 26, 1, 4},       {"convergence.voronoi", 'd', 26, 1, 2},
               {"convergence.distance", 'n', 2, 1, 0},  {"convergence.distance", 'N', 4, 1, 0},
               {"convergence.distance", 'S', 4, 1, 0}};
    const unsigned size = draw_size(b);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcmp(op->id, own[i].op) == 0 && dim == own[i].dim)
            return (size < own[i].most ? size : own[i].most) * own[i].times + own[i].more;
    return size;
}

static void draw_dims(bytes *b, const op_record *op, char *out, size_t room)
{
    char seen[64] = "";
    size_t n = 0;
    *out = '\0';
    for (const op_tensor *t = op->in; t->name != NULL; t++)
        for (const char *p = t->shape; *p != '\0'; p++)
            if (isalpha((unsigned char)*p) && strchr(seen, *p) == NULL) {
                const size_t known = strlen(seen);
                seen[known] = *p;
                seen[known + 1] = '\0';
                n += (size_t)snprintf(out + n, room - n, "%s%c=%u", n ? "," : "", *p, draw_size_of(b, op, *p));
            }
}

/* The n-th of "a|b|c", counted round. */
static void pick(const char *values, unsigned n, char out[64])
{
    unsigned choices = 1;
    for (const char *p = values; *p != '\0'; p++) choices += *p == '|';
    n %= choices;
    while (n-- > 0) values = strchr(values, '|') + 1;
    snprintf(out, 64, "%.*s", (int)strcspn(values, "|"), values);
}

static void draw_set(bytes *b, const op_record *op, char *out, size_t room)
{
    static const char *const real[8] = {"0.125", "0", "1", "-1", "0.001", "1e50", "1e-50", "3.7"};
    size_t n = 0;
    *out = '\0';
    for (const op_param *p = op->param; p != NULL && p->name != NULL; p++) {
        char value[64] = "";
        unsigned byte = next(b);
        if (byte % 8 == 0) continue; /* the default */
        byte /= 8;
        if (p->type == OP_INT) snprintf(value, sizeof value, "%d", (int)(byte % 8) - (byte >= 24 ? 1 : 0));
        if (p->type == OP_REAL) snprintf(value, sizeof value, "%s", real[byte % 8]);
        if (p->type == OP_CHOICE) pick(p->values, byte, value);
        n += (size_t)snprintf(out + n, room - n, "%s%s=%s", n ? "," : "", p->name, value);
    }
}

static double special(unsigned byte)
{
    static const double value[32] = {0.0,
                                     -0.0,
                                     1.0,
                                     -1.0,
                                     0x1p-1074,
                                     -0x1p-1074,
                                     0x1p-1022,
                                     -0x1p-1022,
                                     0x1p-1,
                                     0x1.fffffffffffffp-1,
                                     0x1.0000000000001p0,
                                     0x1p53,
                                     700.0,
                                     -700.0,
                                     710.0,
                                     -710.0,
                                     745.5,
                                     -745.5,
                                     37.5,
                                     -37.5,
                                     1e-8,
                                     -1e-8,
                                     1e8,
                                     1e154,
                                     -1e154,
                                     1e300,
                                     -1e300,
                                     0x1.fffffffffffffp1023,
                                     -0x1.fffffffffffffp1023,
                                     5.9,
                                     -5.9,
                                     0x1p-600};
    /* One in 16 is no number; most bytes stay inside what can be computed with. */
    if (byte >= 248) return byte == 248 ? (double)NAN : byte == 249 ? (double)INFINITY : (double)-INFINITY;
    return value[byte % 32];
}

static double raw(bytes *b)
{
    uint64_t bits = 0;
    double x;
    for (int i = 0; i < 8; i++) bits = bits << 8 | next(b);
    memcpy(&x, &bits, sizeof x);
    return x;
}

static double draw_value(bytes *b, unsigned kind, unsigned scale)
{
    const int small = (int)next(b) - 128;
    switch (kind) {
    case 1:
        return special((unsigned)(small + 128));
    case 2:
        return small / 16.0; /* dyadic, many of them equal */
    case 3:
        return small / 128.0 * (1 + 0x1p-52 * next(b)); /* with neighbours in the last place */
    case 4:
        return ldexp(small, (int)(scale % 128) - 64); /* large and small, all of one size */
    case 5:
        return ldexp(small, (int)next(b) - 128); /* of all sizes at once */
    case 6:
        return (int)(scale % 16) - 8; /* all the same */
    default:
        return small / 64.0 + next(b) / 4096.0; /* ordinary */
    }
}

static void draw_values(bytes *b, size_t n, double *x)
{
    const unsigned kind = next(b) % 9, scale = kind == 4 || kind == 6 ? next(b) : 0;
    for (size_t i = 0; i < n; i++) x[i] = kind == 8 ? raw(b) : draw_value(b, kind, scale);
}

/* Indices, tokens, counts: mostly small, now and then anything. */
static void draw_indices(bytes *b, size_t n, int64_t *x)
{
    for (size_t i = 0; i < n; i++) {
        const unsigned byte = next(b);
        x[i] = byte < 248 ? (int64_t)(byte % 8) : byte < 252 ? -(int64_t)(byte % 4) : INT64_MAX >> (byte % 4 * 21);
    }
}

/* A mask: ones and zeros, now and then something else. */
static void draw_mask(bytes *b, size_t n, double *x)
{
    for (size_t i = 0; i < n; i++) {
        const unsigned byte = next(b);
        x[i] = byte == 255 ? 0.5 : byte % 4 < 3 ? 1 : 0;
    }
}

/* FNV-1a, 32 bits folded to 16. */
static unsigned hash_of(const char *id)
{
    uint32_t h = 2166136261u;
    for (; *id != '\0'; id++) h = (h ^ (unsigned char)*id) * 16777619u;
    return (h >> 16 ^ h) & 0xffff;
}

static const op_record *draw_op(bytes *b)
{
    const unsigned high = next(b), wanted = high << 8 | next(b);
    const op_record *nearest = op_registry[0];
    for (size_t i = 1; op_registry[i] != NULL; i++)
        if (((hash_of(op_registry[i]->id) - wanted) & 0xffff) < ((hash_of(nearest->id) - wanted) & 0xffff))
            nearest = op_registry[i];
    return nearest;
}

/* Rows of different numbers below N. */
static void choose_rows(bytes *b, const op_value *v, size_t N)
{
    const size_t K = v->dim[1];
    for (size_t i = 0; i < v->count; i++) {
        size_t choice = next(b) % (N - i % K), taken = 0;
        do {
            taken = 0;
            for (size_t j = i / K * K; j < i; j++) taken += v->i64[j] == (int64_t)choice;
            choice = taken > 0 ? (choice + 1) % N : choice;
        } while (taken > 0);
        v->i64[i] = (int64_t)choice;
    }
}

/* Some rows of x are the row before them, or the whole of it is another input. */
static void repeat(bytes *b, const op_case *c, size_t i)
{
    const op_value *v = &c->in[i], *before = &c->in[i > 0 ? i - 1 : 0];
    const unsigned how = next(b);
    const size_t p = v->dim[1];
    if (how % 8 == 1 && before != v && before->count == v->count && before->f64 != NULL)
        memcpy(v->f64, before->f64, v->count * sizeof *v->f64);
    if (how % 8 != 2) return;
    for (size_t row = 1; row < v->dim[0]; row++)
        if (next(b) % 2 == 0) memcpy(v->f64 + row * p, v->f64 + (row - 1) * p, p * sizeof *v->f64);
}

/* Chapters K, S and T: a byte, and mostly a value of which an operation takes few is made one that it takes. */
static void bring_in(bytes *b, const op_case *c, size_t i)
{
    const op_value *v = &c->in[i];
    const char *name = c->op->in[i].name;
    const bool variance = strcmp(name, "nu") == 0 || strcmp(name, "qnu") == 0;
    if (next(b) % 16 == 15) return;
    if (strcmp(name, "index") == 0) choose_rows(b, v, op_dim(c, 'N'));
    for (size_t e = 0; e < v->count; e++) {
        if (variance || strcmp(name, "counter") == 0) v->f64[e] = fabs(v->f64[e]);
        if (variance && v->f64[e] == 0) v->f64[e] = 0.5;
        if (strcmp(name, "u") == 0) v->f64[e] = fabs(v->f64[e]) < 0x1p53 ? v->f64[e] - floor(v->f64[e]) : 0.5;
        if (strcmp(name, "label") == 0) v->i64[e] = (int64_t)((uint64_t)v->i64[e] % (uint64_t)op_int(c, "experts"));
        if (strcmp(name, "selected") == 0) v->i64[e] &= 1;
    }
    static const char *const repeated[] = {"x", "y", "atoms", "truth"};
    for (size_t k = 0; k < sizeof repeated / sizeof *repeated; k++)
        if (strcmp(name, repeated[k]) == 0 && v->rank == 2) repeat(b, c, i);
}

static bool has_domain(const op_record *op)
{
    return strncmp(op->id, "similarity.", 11) == 0 || strncmp(op->id, "simsmoe.", 8) == 0 ||
           strncmp(op->id, "convergence.", 12) == 0;
}

static void draw_input(bytes *b, const op_case *c, size_t i)
{
    const op_value *v = &c->in[i];
    if (c->op->in[i].flags & OP_OPTIONAL)
        draw_mask(b, v->count, v->f64);
    else if (v->f64 != NULL)
        draw_values(b, v->count, v->f64);
    else
        draw_indices(b, v->count, v->i64);
    if (has_domain(c->op)) bring_in(b, c, i);
}

static op_case *draw_case(bytes *b)
{
    const op_record *op = draw_op(b);
    char dims[256], set[1024], err[512];
    draw_dims(b, op, dims, sizeof dims);
    draw_set(b, op, set, sizeof set);
    op_case *c = op_case_new(op, dims, set, err, sizeof err);
    if (c == NULL) {
        if (*err == '\0' || strchr(err, '\n') != NULL) FINDING("%s %s %s: refused without a line", op->id, dims, set);
        return NULL;
    }
    size_t total = 0;
    for (size_t i = 0; i < OP_TENSORS; i++) total += c->in[i].count + c->out[i].count;
    if (total > MOST_ELEMENTS) {
        op_case_free(c);
        return NULL;
    }
    for (size_t i = 0; op->in[i].name != NULL; i++) draw_input(b, c, i);
    for (size_t i = 0; op->out[i].name != NULL; i++)
        if (op->out[i].flags & OP_DIFF) draw_values(b, c->cot[i].count, c->cot[i].f64);
    return c;
}

/* --- what must hold --- */

static void show(const char *prefix, const char *name, const op_value *v)
{
    enum { SHOWN = 24 };
    fprintf(stderr, "\n  %s%s =", prefix, name);
    for (size_t i = 0; i < v->count && i < SHOWN; i++)
        if (v->f64 != NULL)
            fprintf(stderr, " %.17g", v->f64[i]);
        else
            fprintf(stderr, " %lld", (long long)v->i64[i]);
    if (v->count > SHOWN) fprintf(stderr, " ... (%zu)", v->count);
}

static void describe(const op_case *c)
{
    fprintf(stderr, "%s", c->op->id);
    for (size_t i = 0; i < c->dims; i++) fprintf(stderr, " %c=%zu", c->dim_name[i], c->dim_size[i]);
    for (size_t i = 0; c->op->param != NULL && c->op->param[i].name != NULL; i++) {
        const op_param *p = &c->op->param[i];
        if (p->type == OP_CHOICE)
            fprintf(stderr, " %s=%s", p->name, c->choice[i]);
        else
            fprintf(stderr, " %s=%g", p->name, c->number[i]);
    }
    for (size_t i = 0; c->op->in[i].name != NULL; i++) show("", c->op->in[i].name, &c->in[i]);
    for (size_t i = 0; c->op->out[i].name != NULL; i++)
        if (c->op->out[i].flags & OP_DIFF) show("d_", c->op->out[i].name, &c->cot[i]);
    fputc('\n', stderr);
}

#define CASE_FINDING(c, ...)                                                                                           \
    do {                                                                                                               \
        describe(c);                                                                                                   \
        FINDING(__VA_ARGS__);                                                                                          \
    } while (0)

static bool finite_values(const op_value *v) { return v->f64 == NULL || smoe_all_finite(v->count, v->f64); }

static bool finite_input(const op_case *c, size_t i)
{
    const op_value *v = &c->in[i];
    for (size_t e = 0; v->f64 != NULL && e < v->count; e++)
        if (!isfinite(v->f64[e]) && domain_reads(c, i, e)) return false;
    return true;
}

static bool finite_inputs(const op_case *c)
{
    for (size_t i = 0; c->op->in[i].name != NULL; i++)
        if (!finite_input(c, i)) return false;
    return true;
}

static bool finite_cotangents(const op_case *c)
{
    for (size_t i = 0; c->op->out[i].name != NULL; i++)
        if ((c->op->out[i].flags & OP_DIFF) && domain_reads_cotangent(c, i) && !finite_values(&c->cot[i])) return false;
    return true;
}

/* A margin is +inf where all are selected. */
static bool finite_results(const op_case *c)
{
    for (size_t i = 0; c->op->out[i].name != NULL; i++)
        if (!(c->op->out[i].flags & OP_MARGIN) && !finite_values(&c->out[i])) return false;
    for (size_t i = 0; c->op->in[i].name != NULL; i++)
        if ((c->op->in[i].flags & OP_DIFF) && !finite_values(&c->grad[i])) return false;
    return true;
}

/* Ones and zeros, and at least one of the former. */
static bool is_mask(const op_value *v)
{
    bool any = false;
    for (size_t i = 0; i < v->count; i++) {
        if (v->f64[i] != 0 && v->f64[i] != 1) return false;
        any = any || v->f64[i] == 1;
    }
    return any;
}

static bool zero_row(const op_value *v)
{
    const size_t d = v->dim[1];
    for (size_t row = 0; row < v->dim[0]; row++) {
        size_t zeros = 0;
        while (zeros < d && v->f64[row * d + zeros] == 0) zeros++;
        if (zeros == d) return true;
    }
    return false;
}

static bool all_below(const op_value *index, size_t n)
{
    for (size_t i = 0; i < index->count; i++)
        if (index->i64[i] < 0 || (uint64_t)index->i64[i] >= n) return false;
    return true;
}

/* What G.12 to G.16 ask of their inputs beyond being finite. */
static bool in_domain_of_gate(const op_case *c)
{
    const char *id = c->op->id;
    if (strcmp(id, "gate.xmoe") == 0) return *op_in(c, "tau") > 0;
    if (strcmp(id, "gate.perturbed") == 0)
        return !(op_real(c, "tau2") == 0 && zero_row(&c->in[0])) && !(op_real(c, "tau1") == 0 && zero_row(&c->in[1]));
    if (strcmp(id, "gate.stable.distill") == 0)
        return all_below(&c->in[0], op_dim(c, 'V')) && all_below(&c->in[3], op_dim(c, 'N'));
    if (strcmp(id, "gate.deepseek") == 0)
        for (size_t i = 0; i < op_dim(c, 'N'); i++)
            if (!(fabs(op_in(c, "bias")[i]) < 0x1p99)) return false;
    return true;
}

static bool between(const op_value *v, int64_t least, int64_t below)
{
    for (size_t i = 0; i < v->count; i++)
        if (v->i64[i] < least || v->i64[i] >= below) return false;
    return true;
}

static bool distinct_rows(const op_value *v)
{
    const size_t K = v->dim[1];
    for (size_t i = 0; i < v->count; i++)
        for (size_t j = i / K * K; j < i; j++)
            if (v->i64[i] == v->i64[j]) return false;
    return true;
}

/* Indices of experts and places: within what the operation has of them. */
static bool indices_fit(const op_case *c)
{
    const char *id = c->op->id;
    if (strcmp(id, "layer.dispatch") == 0 || strcmp(id, "layer.collapse") == 0)
        return between(&c->in[1], 0, (int64_t)op_dim(c, 'N'));
    if (strcmp(id, "layer.combine") == 0)
        return between(&c->in[2], 0, (int64_t)op_dim(c, 'N')) && between(&c->in[3], -1, (int64_t)op_dim(c, 'C'));
    if (strcmp(id, "layer.fluctuation") == 0 || strcmp(id, "layer.change") == 0)
        for (size_t i = 0; i < 2; i++) {
            for (size_t k = 0; k < c->in[i].count; k++)
                if (c->in[i].i64[k] < 0) return false;
            if (c->in[i].rank == 2 && !distinct_rows(&c->in[i])) return false;
        }
    return true;
}

static bool all_above_0(size_t n, const double *x)
{
    for (size_t i = 0; i < n; i++)
        if (!(x[i] > 0)) return false;
    return true;
}

/* What B.10 and B.15 ask of their inputs beyond being finite. */
static bool in_domain_of_balance(const op_case *c)
{
    if (strcmp(c->op->id, "balance.load") == 0) return all_above_0(c->in[2].count, op_in(c, "std"));
    if (strcmp(c->op->id, "balance.deepseek") == 0) return all_above_0(c->in[0].count, op_in(c, "s"));
    return true;
}

static bool all_within(size_t n, const double *x, double least, double below)
{
    for (size_t i = 0; i < n; i++)
        if (!(x[i] >= least && x[i] < below)) return false;
    return true;
}

/* What C.12 and C.13 ask: steps from 0 on, coins in [0, 1). */
static bool in_domain_of_compete(const op_case *c)
{
    if (strcmp(c->op->id, "compete.schedule") == 0) return all_within(c->in[0].count, op_in(c, "u"), 0, 1);
    if (strcmp(c->op->id, "compete.lambda") != 0) return true;
    return all_within(c->in[0].count, op_in(c, "t"), 0, INFINITY) && all_within(c->in[1].count, op_in(c, "u"), 0, 1);
}

static bool in_domain(const op_case *c)
{
    if (!in_domain_of_compete(c)) return false;
    if (!in_domain_of_gate(c)) return false;
    if (!indices_fit(c)) return false;
    if (!in_domain_of_balance(c)) return false;
    if (!domain_holds(c)) return false;
    for (size_t i = 0; c->op->in[i].name != NULL; i++)
        if ((c->op->in[i].flags & OP_OPTIONAL) && !is_mask(&c->in[i])) return false;
    const double least = strcmp(c->op->id, "numerics.log") == 0     ? 0.0
                         : strcmp(c->op->id, "numerics.log1p") == 0 ? -1.0
                                                                    : -INFINITY;
    for (size_t i = 0; i < c->in[0].count; i++)
        if (c->in[0].f64 != NULL && !(c->in[0].f64[i] > least)) return false;
    return true;
}

/* Is there a row [.., d] of each of the N experts' outputs o[T,N,d] in which nothing is above -740?  Then softplus
 * is 0 or nearly so everywhere in it, and (C.2) may refuse the token: its weights are 0/0. */
static bool silent_token(size_t T, size_t N, size_t d, const double *o)
{
    for (size_t t = 0; t < T; t++) {
        bool silent = true;
        for (size_t i = 0; i < N * d; i++) silent = silent && !(o[t * N * d + i] > -740);
        if (silent) return true;
    }
    return false;
}

/* The experts' outputs [T,N,d] of compete.layer, each by the operation of its kind. */
static bool silent_layer(const op_case *c)
{
    const size_t T = op_dim(c, 'T'), N = op_dim(c, 'N'), d = op_dim(c, 'd'), h = op_dim(c, 'h');
    double *o = calloc(T * N * d + 1, sizeof *o);
    char dims[128], err[256];
    snprintf(dims, sizeof dims, "T=%zu,d=%zu,h=%zu", T, d, h);
    const op_record *kind = op_find(op_is(c, "activation", "relu") ? "expert.relu" : "expert.gelu");
    for (size_t n = 0; n < N; n++) {
        op_case *e = op_case_new(kind, dims, "", err, sizeof err);
        if (o == NULL || e == NULL) FINDING("%s %s: %s", kind->id, dims, err);
        memcpy(op_in(e, "x"), op_in(c, "x"), T * d * sizeof *o);
        memcpy(op_in(e, "w1"), op_in(c, "w1") + n * h * d, h * d * sizeof *o);
        memcpy(op_in(e, "b1"), op_in(c, "b1") + n * h, h * sizeof *o);
        memcpy(op_in(e, "w2"), op_in(c, "w2") + n * d * h, d * h * sizeof *o);
        memcpy(op_in(e, "b2"), op_in(c, "b2") + n * d, d * sizeof *o);
        if (kind->forward(e) == SMOE_OK)
            for (size_t t = 0; t < T; t++) memcpy(o + (t * N + n) * d, op_out(e, "y") + t * d, d * sizeof *o);
        op_case_free(e);
    }
    const bool silent = silent_token(T, N, d, o);
    free(o);
    return silent;
}

/* Do all scores of a token's experts underflow, or nearly so?  Then G.16 may refuse to divide by their sum. */
static bool silent_gate(const op_case *c)
{
    for (size_t t = 0; t < op_dim(c, 'T'); t++) {
        size_t silent = 0;
        for (size_t i = 0; i < op_dim(c, 'N'); i++) silent += op_out(c, "s")[t * op_dim(c, 'N') + i] < 0x1p-1000;
        if (silent >= op_dim(c, 'K')) return true;
    }
    return false;
}

/* Is there a token whose sigmoids all underflow, or nearly so?  Then G.7 may refuse to divide by their sum. */
static bool low_logits(const op_case *c)
{
    for (size_t t = 0; t < op_dim(c, 'T'); t++) {
        double most = -INFINITY;
        for (size_t i = 0; i < op_dim(c, 'N'); i++) most = fmax(most, op_in(c, "r")[t * op_dim(c, 'N') + i]);
        if (most < -700) return true;
    }
    return false;
}

/* Is the squared mean of v plus epsilon so small that B.9 may refuse to divide by it? */
static bool no_mean(const op_case *c, const double *v)
{
    double sum = 0;
    for (size_t i = 0; i < op_dim(c, 'N'); i++) sum += v[i];
    return fabs(sum / (double)op_dim(c, 'N')) < 0x1p-500 && op_real(c, "epsilon") < 0x1p-1000;
}

/* Are all numbers of a size that products of four of them stay within the format?  Elsewhere an intermediate of a
 * gradient may underflow in one order of its factors and not in another, and is then multiplied up again: (x /
 * norm) dnorm is 0 where x (dnorm / norm) is not.  The twin takes one order and its bound speaks of that one. */
static bool tame_values(const op_value *v)
{
    for (size_t i = 0; v->f64 != NULL && i < v->count; i++)
        if (v->f64[i] != 0 && !(fabs(v->f64[i]) > 0x1p-150 && fabs(v->f64[i]) < 0x1p150)) return false;
    return true;
}

static bool silent(const op_case *c)
{
    if (has_domain(c->op)) return domain_doubtful(c);
    if (strcmp(c->op->id, "gate.deepseek") == 0) return op_is(c, "normalise", "yes") && silent_gate(c);
    if (strcmp(c->op->id, "gate.sigmoid") == 0) return op_is(c, "normalise", "yes") && low_logits(c);
    if (strcmp(c->op->id, "layer.collapse") == 0) return true; /* means that coincide, or that depend on each other */
    if (strcmp(c->op->id, "balance.importance") == 0) return no_mean(c, op_out(c, "importance"));
    if (strcmp(c->op->id, "balance.load") == 0) return no_mean(c, op_out(c, "load"));
    if (strcmp(c->op->id, "compete.route") == 0)
        return op_is(c, "version", "2") && silent_token(op_dim(c, 'T'), op_dim(c, 'N'), op_dim(c, 'd'), op_in(c, "o"));
    if (strcmp(c->op->id, "compete.step") == 0) return op_is(c, "compete", "yes"); /* several responses and weights */
    return strcmp(c->op->id, "compete.layer") == 0 && op_is(c, "compete", "yes") && silent_layer(c);
}

static void check_status(const op_case *c, smoe_status status)
{
    const bool inputs = finite_inputs(c) && in_domain(c), cotangents = finite_cotangents(c);
    if (status == SMOE_EINVAL) CASE_FINDING(c, "EINVAL after the record's check had passed");
    if (status == SMOE_EENV) CASE_FINDING(c, "EENV");
    if (status == SMOE_EDOM && inputs && cotangents && !silent(c))
        CASE_FINDING(c, "EDOM although every value is finite and in the domain");
    if (status == SMOE_EOVRFLW && inputs && cotangents && domain_mild(c) && !silent(c))
        CASE_FINDING(c, "EOVRFLW although every number is of ordinary size");
    /* EDOM, or EOVRFLW where a token before this one, or the forward before a look at the cotangents, overflows. */
    const bool refused = status == SMOE_EDOM || status == SMOE_EOVRFLW;
    if (!refused && (!inputs || (!cotangents && c->op->vjp != NULL)))
        CASE_FINDING(c, "a value that is not finite or not in the domain: %s", smoe_strerror(status));
    if (status == SMOE_OK && !finite_results(c)) CASE_FINDING(c, "a result that is not finite without EOVRFLW");
}

/* The ball is [hi + lo - rad, hi + lo + rad]; long double holds the differences to more than enough. */
static void check_values(const op_case *c, const char *prefix, const char *name, const double *got, size_t count,
                         const twin_tensor *t)
{
    if (t->count == 0) return;
    if (t->count != count)
        CASE_FINDING(c, "%s%s: the twin has %zu elements, expected %zu", prefix, name, t->count, count);
    for (size_t i = 0; i < count; i++) {
        const long double off = fabsl(((long double)got[i] - (long double)t->hi[i]) - (long double)t->lo[i]);
        if (isinf(t->rad[i])) continue;
        if (got[i] == t->hi[i]) continue;
        if (!(off <= (long double)t->rad[i] * (1 + 0x1p-40L)))
            CASE_FINDING(c, "%s%s[%zu]: reference %.17g, twin %.17g with binary64 bound %.3g", prefix, name, i, got[i],
                         t->hi[i], t->rad[i]);
    }
}

/* Are the scores of a decision sums or shares that no tensor has, and no function of the reference gives? */
static bool unseen_scores(const op_case *c)
{
    return strcmp(c->op->id, "gate.deepseek") == 0 || strcmp(c->op->id, "balance.deepseek") == 0 ||
           strcmp(c->op->id, "convergence.sample") == 0;
}

/* Counts and flags, which no precision blurs. */
static void check_counts(const op_case *c, size_t i, const twin_tensor *t)
{
    for (size_t e = 0; e < t->count; e++)
        if (t->rad[e] == 0 && (double)c->out[i].i64[e] != t->hi[e])
            CASE_FINDING(c, "%s[%zu]: reference %lld, twin %.17g", c->op->out[i].name, e, (long long)c->out[i].i64[e],
                         t->hi[e]);
}

/* The scores that a decision of this operation is taken on, as the reference has them: an input or a stage. */
static const double *own_scores(const op_case *c)
{
    static const char *const on_r[] = {"gate.weights",   "gate.sigmoid",   "gate.dropout",   "gate.gshard",
                                       "layer.smoe",     "layer.capacity", "layer.shared",   "layer.load",
                                       "balance.switch", "balance.gshard", "balance.global", "simsmoe.layer",
                                       "simsmoe.step"};
    const char *name = "s";
    if (strcmp(c->op->id, "gate.stable") == 0 && op_is(c, "stage", "2")) name = "shat";
    if (strcmp(c->op->id, "balance.load") == 0 || strcmp(c->op->id, "gate.noisy") == 0) name = "noisy";
    for (size_t i = 0; i < sizeof on_r / sizeof *on_r; i++)
        if (strcmp(c->op->id, on_r[i]) == 0) name = "r";
    const bool whole = strcmp(c->op->id, "compete.layer") == 0 || strcmp(c->op->id, "compete.step") == 0;
    if (whole && op_is(c, "compete", "no")) name = "r";
    for (size_t i = 0; c->op->in[i].name != NULL; i++)
        if (strcmp(c->op->in[i].name, name) == 0) return c->in[i].f64;
    for (size_t i = 0; c->op->out[i].name != NULL; i++)
        if (strcmp(c->op->out[i].name, name) == 0) return c->out[i].f64;
    CASE_FINDING(c, "no scores %s", name);
}

/* The rule by its definition: each next one is the largest that is left, the lowest index among equals. */
static void check_rule(const op_case *c, size_t t, size_t N, size_t K, const double *s, const int64_t *index)
{
    bool taken[64] = {false};
    if (N > sizeof taken) CASE_FINDING(c, "more experts than this target has room for");
    for (size_t j = 0; j < K; j++) {
        size_t best = N;
        for (size_t n = 0; n < N; n++)
            if (!taken[n] && (best == N || s[n] > s[best])) best = n;
        if (index[j] < 0 || (size_t)index[j] != best)
            CASE_FINDING(c, "token %zu, choice %zu: expert %lld, expected %zu", t, j, (long long)index[j], best);
        taken[best] = true;
    }
}

/* And the reference's scores do not depart from the twin's so far that another selection would be due. */
static void check_decision(const op_case *c, size_t i, const twin_tensor *score)
{
    const size_t N = op_dim(c, 'N'), K = c->out[i].dim[1], T = c->out[i].dim[0];
    if (score->count != T * N) CASE_FINDING(c, "%s: the twin has no scores for it", c->op->out[i].name);
    double *made = domain_scores(c, i);
    const double *own = unseen_scores(c) ? NULL : made != NULL ? made : own_scores(c);
    for (size_t t = 0; t < T; t++) {
        const int64_t *index = c->out[i].i64 + t * K;
        const double *hi = score->hi + t * N, *rad = score->rad + t * N;
        bool taken[64] = {false};
        if (own != NULL) check_rule(c, t, N, K, own + t * N, index);
        for (size_t j = 0; j < K; j++) {
            taken[index[j]] = true;
            for (size_t n = 0; n < N; n++)
                if (!taken[n] && hi[n] - rad[n] > hi[index[j]] + rad[index[j]])
                    CASE_FINDING(c, "token %zu: expert %zu comes after %lld", t, n, (long long)index[j]);
        }
    }
    free(made);
}

static bool tame(const op_case *c)
{
    for (size_t i = 0; i < OP_TENSORS; i++)
        if (!tame_values(&c->in[i]) || !tame_values(&c->cot[i])) return false;
    return true;
}

static void check_against_twin(const op_case *c)
{
    const bool gradients = tame(c);
    twin_result r;
    char err[512] = "";
    if (twin_run(c, twin_profile_find("f64"), NULL, TWIN_BITS, &r, err, sizeof err) != 0)
        CASE_FINDING(c, "twin: %s", err);
    for (size_t i = 0; c->op->out[i].name != NULL; i++) {
        const op_tensor *t = &c->op->out[i];
        if (c->out[i].f64 != NULL) check_values(c, "", t->name, c->out[i].f64, c->out[i].count, &r.out[i]);
        if (c->out[i].i64 != NULL && t->kind == OP_EXACT) check_counts(c, i, &r.out[i]);
        if (t->kind == OP_DECISION) check_decision(c, i, &r.score[i]);
    }
    for (size_t i = 0; c->op->in[i].name != NULL; i++)
        if (gradients && (c->op->in[i].flags & OP_DIFF))
            check_values(c, "d_", c->op->in[i].name, c->grad[i].f64, c->grad[i].count, &r.grad[i]);
    twin_result_clear(&r);
}

/* Where an expert keeps its largest weights, two that are equal but for rounding may be told apart either way. */
static bool dropped_by_rounding(const op_case *c)
{
    return strcmp(c->op->id, "layer.capacity") == 0 && op_is(c, "policy", "probability");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes b = {data, data + size};
    op_case *c = draw_case(&b);
    if (c == NULL) return 0;
    const smoe_status status = op_run(c);
    check_status(c, status);
    if (status == SMOE_OK && !dropped_by_rounding(c)) check_against_twin(c);
    op_case_free(c);
    return 0;
}
