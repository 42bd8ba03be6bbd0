/* The tape of correct.h: numbers instead of balls, rounded as a machine would round them.  It shares no code with the tape of
 * the enclosure, only its interface.  Values are doubles kept in balls of radius 0, because the chapters look at them. */
#include "correct.h"

#include "tape.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

correct_way correct_how;

struct tape {
    const twin_profile *rest, *p; /* of the whole; of the node at hand */
    const tape_plan *plan;
    size_t nodes;
    uint64_t random;
    tape_node *first, *last;
};

static void *get(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    if (!p) abort();
    return p;
}

static size_t elements(const tape_node *y) { return y->rows * y->cols; }
static double value(const tape_node *y, size_t e) { return arf_get_d(arb_midref(y->v + e), ARF_RND_NEAR); }
static void put(tape_node *y, size_t e, double x) { arb_set_d(y->v + e, x); }

static double uniform(tape *t) /* [-1, 1) */
{
    t->random ^= t->random << 13;
    t->random ^= t->random >> 7;
    t->random ^= t->random << 17;
    return (double)(int64_t)t->random * 0x1p-63;
}

/* --- rounding ------------------------------------------------------------------------------------------------ */

static double tiny_of(const twin_format *f) /* least normal number */
{
    return f->digits == 53 ? 0x1p-1022 : f->underflow == 0x1p-25 ? 0x1p-14 : 0x1p-126;
}

/* To nearest, ties to even; gradually below the normal range, or to 0 where that may be; beyond the largest to infinity. */
static double nearest(const twin_format *f, double x)
{
    if (x == 0 || !isfinite(x)) return x;
    int e;
    frexp(x, &e);
    const double tiny = tiny_of(f);
    if (fabs(x) < tiny && f->underflow == 0x1p-126 && correct_how.flushes) return copysign(0, x);
    if (f->digits == 53) return x;
    const int least = ilogb(tiny) + 1, grid = (e < least ? least : e) - f->digits;
    const double y = ldexp(nearbyint(ldexp(x, -grid)), grid);
    return fabs(y) > f->largest ? copysign(INFINITY, y) : y;
}

/* One operation whose exact result is x: or anything within the unit roundoff of it, where the format does not have x. */
static double arithmetic(tape *t, double x)
{
    const twin_format *f = &t->p->arithmetic;
    const double y = nearest(f, x);
    if (correct_how.fault == FAULT_ROUNDING && x != 0 && isfinite(y)) return y + 3 * ldexp(fabs(y), -f->digits);
    if (correct_how.way != WAY_RANDOM || y == x || !isfinite(y) || fabs(y) < 2 * tiny_of(f) || f->digits == 53) return y;
    return x * (1 + uniform(t) * ldexp(1, -f->digits));
}

/* Random results are no numbers of the format: stored in no coarser one they are kept as they are, or they would be rounded
 * twice. */
double correct_stored(const twin_profile *p, double x)
{
    if (correct_how.way == WAY_RANDOM && p->storage.digits >= p->arithmetic.digits) return x;
    const double y = nearest(&p->storage, x);
    if (correct_how.fault == FAULT_STORE && y != x) return y + (y - x) * 3;
    return y;
}

static double store(const tape *t, double x) { return correct_stored(t->p, x); }

static double taken_in(const tape *t, double x) { return nearest(&t->p->storage, x); }

/* One operation between tensors. */
static double A(tape *t, double x)
{
    const double y = arithmetic(t, x);
    return correct_how.stores ? store(t, y) : y;
}

/* An elementary function, anywhere within its ulp of the exact x. */
static double E(tape *t, double x)
{
    const twin_format *f = &t->p->arithmetic;
    double ulp = t->p->elementary_ulp - 0.5 - (f->digits == 53 ? 1 : 0); /* the C library's own error */
    if (correct_how.fault == FAULT_EXP) ulp = 40 * t->p->elementary_ulp;
    if (x == 0 || x == 1 || x == -1 || !isfinite(x)) return x;
    int e;
    frexp(x, &e);
    double y = ulp > 0 ? x + uniform(t) * ulp * ldexp(1, e - f->digits) : x;
    y = nearest(f, y);
    return correct_how.stores ? store(t, y) : y;
}

/* a b + s */
static double fused(tape *t, double a, double b, double s)
{
    if (a == 0 || b == 0) return s;
    if (t->p->arithmetic.digits == 53) return fma(a, b, s);
    return arithmetic(t, (double)((long double)a * b + s));
}

static double product(tape *t, double a, double b) { return arithmetic(t, a * b); }
/* x + 0 is x, also where x is no number of the format (random rounding) */
static double plus(tape *t, double a, double b) { return a == 0 || b == 0 ? a + b : arithmetic(t, a + b); }

/* --- sums ---------------------------------------------------------------------------------------------------- */

/* b NULL: of a alone */
static double term(tape *t, const double *a, const double *b, size_t i) { return b ? product(t, a[i], b[i]) : a[i]; }

static double in_order(tape *t, const double *a, const double *b, size_t n, size_t step, bool fuses)
{
    double s = n ? term(t, a, b, 0) : 0;
    for (size_t i = step; i < n; i += step) s = fuses && b ? fused(t, a[i], b[i], s) : plus(t, s, term(t, a, b, i));
    return s;
}

static double pairwise(tape *t, const double *a, const double *b, size_t n)
{
    if (n <= 1) return n ? term(t, a, b, 0) : 0;
    const size_t h = n / 2;
    return plus(t, pairwise(t, a, b, h), pairwise(t, a + h, b ? b + h : NULL, n - h));
}

/* Blocks of neighbours, each in order, then the blocks pairwise. */
static double blocks(tape *t, const double *a, const double *b, size_t n, size_t width, bool fuses)
{
    double part[512];
    size_t parts = 0;
    for (size_t i = 0; i < n; i += width) {
        const double s = in_order(t, a + i, b ? b + i : NULL, n - i < width ? n - i : width, 1, fuses);
        if (parts < 512)
            part[parts++] = s;
        else
            part[511] = plus(t, part[511], s);
    }
    return pairwise(t, part, NULL, parts);
}

static double strided(tape *t, const double *a, const double *b, size_t n, size_t lanes)
{
    double part[32];
    if (lanes > n) lanes = n;
    for (size_t l = 0; l < lanes; l++) part[l] = in_order(t, a + l, b ? b + l : NULL, n - l, lanes, true);
    return in_order(t, part, NULL, lanes, 1, false);
}

static double kahan(tape *t, const double *a, const double *b, size_t n)
{
    double s = 0, c = 0;
    for (size_t i = 0; i < n; i++) {
        const double y = plus(t, term(t, a, b, i), -c), sum = plus(t, s, y);
        c = plus(t, plus(t, sum, -s), -y);
        s = sum;
    }
    return s;
}

static double permuted(tape *t, const double *a, const double *b, size_t n, bool backwards)
{
    double *x = get(2 * n, sizeof *x), *y = x + n;
    for (size_t i = 0; i < n; i++) {
        const size_t from = backwards ? n - 1 - i : i;
        x[i] = a[from];
        y[i] = b ? b[from] : 0;
    }
    for (size_t i = n; !backwards && i-- > 1;) {
        const size_t j = (size_t)((uniform(t) + 1) / 2 * (double)(i + 1)) % (i + 1);
        const double u = x[i], v = y[i];
        x[i] = x[j];
        y[i] = y[j];
        x[j] = u;
        y[j] = v;
    }
    const double s = in_order(t, x, b ? y : NULL, n, 1, false);
    free(x);
    return s;
}

static double accumulated(tape *t, const double *a, const double *b, size_t n)
{
    switch (correct_how.way) {
    case WAY_REVERSED:
        return permuted(t, a, b, n, true);
    case WAY_SHUFFLED:
        return permuted(t, a, b, n, false);
    case WAY_PAIRWISE:
        return pairwise(t, a, b, n);
    case WAY_BLOCKS_4:
        return blocks(t, a, b, n, 4, false);
    case WAY_BLOCKS_16:
        return blocks(t, a, b, n, 16, true);
    case WAY_BLOCKS_32:
        return blocks(t, a, b, n, 32, false);
    case WAY_STRIDED:
        return strided(t, a, b, n, 8);
    case WAY_KAHAN:
        return kahan(t, a, b, n);
    case WAY_SPLIT_K:
        return blocks(t, a, b, n, n < 3 ? 1 : (n + 2) / 3, true);
    case WAY_FUSED:
        return in_order(t, a, b, n, 1, true);
    default:
        return in_order(t, a, b, n, 1, false);
    }
}

static double reduce(tape *t, const double *a, const double *b, size_t n)
{
    double s = accumulated(t, a, b, n);
    if (correct_how.fault == FAULT_SUM && n > 2) s = s * (1 + 8 * (double)n * ldexp(1, -t->p->arithmetic.digits));
    return correct_how.stores ? store(t, s) : s;
}

/* --- nodes and their profiles -------------------------------------------------------------------------------- */

struct tape_plan {
    size_t nodes, additions;
    twin_profile *known;
    size_t *seen;
};

tape_plan *tape_plan_new(const tape *t)
{
    tape_plan *p = get(1, sizeof *p);
    p->nodes = t->nodes;
    p->known = get(p->nodes, sizeof *p->known);
    p->seen = get(p->nodes, sizeof *p->seen);
    return p;
}

void tape_plan_free(tape_plan *p)
{
    if (p) free(p->known);
    if (p) free(p->seen);
    free(p);
}

/* The coarser of two formats, of which one has all numbers of the other. */
static void coarser(twin_format *f, const twin_format *g)
{
    if (g->digits < f->digits) *f = *g;
}

static void add_from(tape_plan *plan, const tape_node *y, const twin_profile *p, bool first)
{
    if (!y || (y->named && !first) || plan->seen[y->number] == plan->additions) return;
    twin_profile *known = &plan->known[y->number];
    plan->seen[y->number] = plan->additions;
    if (!known->name) *known = *p;
    coarser(&known->storage, &p->storage);
    coarser(&known->arithmetic, &p->arithmetic);
    known->elementary_ulp = fmax(known->elementary_ulp, p->elementary_ulp);
    if (y->base != y) add_from(plan, y->base, p, first);
    add_from(plan, y->a, p, false);
    add_from(plan, y->b, p, false);
    for (size_t i = 0; i < y->parts; i++) add_from(plan, y->part[i], p, false);
}

void tape_plan_add(tape_plan *plan, const tape_node *y, const twin_profile *p)
{
    plan->additions++;
    add_from(plan, y, p, true);
}

void tape_plan_level(tape_plan *plan, const twin_profile *profile)
{
    (void)plan;
    (void)profile; /* as it was planned last */
}

bool tape_plan_fits(const tape_plan *plan, const tape *t) { return plan->nodes == t->nodes; }
void tape_follow(tape *t, const tape_plan *plan) { t->plan = plan; }
void tape_use(tape *t, const twin_profile *p) { t->p = p; }

static void use_planned(tape *t, size_t number)
{
    const bool known = t->plan && number < t->plan->nodes && t->plan->known[number].name;
    t->p = known ? &t->plan->known[number] : t->rest;
}

tape *tape_new(const twin_profile *profile, long prec)
{
    (void)prec;
    tape *t = get(1, sizeof *t);
    t->rest = t->p = profile;
    t->random = correct_how.seed * 0x9e3779b97f4a7c15 + 0x1234567;
    return t;
}

void tape_free(tape *t)
{
    for (tape_node *y = t ? t->first : NULL, *next; y; y = next) {
        next = y->next;
        if (y->base == y) _arb_vec_clear(y->v, (slong)elements(y));
        if (y->g) _arb_vec_clear(y->g, (slong)elements(y));
        free(y->part);
        free(y->index);
        free(y);
    }
    free(t);
}

static tape_node *link_node(tape *t, size_t rows, size_t cols)
{
    tape_node *y = get(1, sizeof *y);
    y->rows = rows;
    y->cols = cols;
    y->base = y;
    y->number = t->nodes++;
    y->previous = t->last;
    if (t->last)
        t->last->next = y;
    else
        t->first = y;
    t->last = y;
    use_planned(t, y->number);
    return y;
}

static tape_node *make(tape *t, size_t rows, size_t cols, tape_node *a, tape_node *b, void (*back)(tape *, tape_node *))
{
    tape_node *y = link_node(t, rows, cols);
    y->v = _arb_vec_init((slong)(rows * cols));
    y->a = a;
    y->b = b;
    y->back = back;
    y->wants = (a && a->wants) || (b && b->wants);
    return y;
}

static double gradient(const tape_node *y, size_t e) { return arf_get_d(arb_midref(y->g + e), ARF_RND_NEAR); }

static void give(tape *t, tape_node *x, size_t e, double c)
{
    if (!x->wants || c == 0) return;
    tape_node *y = x->base;
    e += x->offset;
    if (!y->g) y->g = _arb_vec_init((slong)elements(y));
    if (arb_is_zero(y->g + e)) {
        arb_set_d(y->g + e, c);
        return;
    }
    const twin_profile *giver = t->p; /* what meets at a node is added in what the node is kept in */
    if (y->stored)
        t->p = y->stored;
    else
        use_planned(t, y->number);
    arb_set_d(y->g + e, A(t, gradient(y, e) + c));
    t->p = giver;
}

arb_srcptr tape_gradient(const tape_node *a) { return a->base->g ? a->base->g + a->offset : NULL; }

void tape_seed(tape *t, tape_node *a, const double *cotangent)
{
    for (size_t i = 0; i < elements(a); i++) give(t, a, i, taken_in(t, cotangent[i]));
}

void tape_backward(tape *t)
{
    for (tape_node *y = t->last; y; y = y->previous) {
        if (!y->g) continue;
        use_planned(t, y->number);
        if (y->back) y->back(t, y);
        if (y->leaf && y->stored) t->p = y->stored;
        for (size_t i = 0; y->leaf && i < elements(y); i++) arb_set_d(y->g + i, store(t, gradient(y, i)));
    }
}

void tape_together(tape *t, size_t n)
{
    (void)t;
    (void)n;
}

bool tape_rounds(const tape *t)
{
    (void)t;
    return false; /* nobody needs slack here */
}

double tape_upper(const tape_node *a, size_t e) { return fabs(value(a, e)); }
double tape_middle(const tape_node *a, size_t e) { return value(a, e); }

#define NOTHING(name)                                                                                                  \
    double name(const tape *t)                                                                                         \
    {                                                                                                                  \
        (void)t;                                                                                                       \
        return 0;                                                                                                      \
    }
NOTHING(tape_u)
NOTHING(tape_u_next)
NOTHING(tape_elementary)
NOTHING(tape_elementary_next)
NOTHING(tape_arithmetic)

/* --- given and moved ----------------------------------------------------------------------------------------- */

tape_node *tape_leaf(tape *t, size_t rows, size_t cols, const double *x, bool wants)
{
    tape_node *y = make(t, rows, cols, NULL, NULL, NULL);
    y->leaf = true;
    y->wants = wants;
    for (size_t i = 0; i < elements(y); i++) put(y, i, taken_in(t, x[i]));
    return y;
}

static double share(tape *t, double x, size_t n)
{
    return correct_how.other ? A(t, x * A(t, 1 / (double)n)) : A(t, x / (double)n);
}

tape_node *tape_ratio(tape *t, size_t rows, size_t cols, const size_t *count, size_t n)
{
    tape_node *y = make(t, rows, cols, NULL, NULL, NULL);
    for (size_t i = 0; i < elements(y); i++) put(y, i, n == 1 ? (double)count[i] : share(t, (double)count[i], n));
    return y;
}

tape_node *tape_fill(tape *t, size_t rows, size_t cols, double x)
{
    tape_node *y = make(t, rows, cols, NULL, NULL, NULL);
    for (size_t i = 0; i < elements(y); i++) put(y, i, x);
    return y;
}

tape_node *tape_view(tape *t, tape_node *a, size_t first_row, size_t rows, size_t cols)
{
    tape_node *y = link_node(t, rows, cols);
    y->base = a->base;
    y->offset = a->offset + first_row * a->cols;
    y->v = y->base->v + y->offset;
    y->wants = a->wants;
    return y;
}

tape_node *tape_stop(tape *t, tape_node *a)
{
    tape_node *y = tape_view(t, a, 0, a->rows, a->cols);
    y->wants = false;
    return y;
}

/* The same elements elsewhere: element i of the result is number index[i] of a. */
static void back_moved(tape *t, tape_node *y)
{
    for (size_t i = 0; i < elements(y); i++) give(t, y->a, y->index ? y->index[i] : i, gradient(y, i));
}

static tape_node *same(tape *t, tape_node *a)
{
    tape_node *y = make(t, a->rows, a->cols, a, NULL, back_moved);
    for (size_t i = 0; i < elements(y); i++) arb_set(y->v + i, a->v + i);
    return y;
}

static tape_node *gathered(tape *t, tape_node *a, size_t rows, size_t cols, size_t *index)
{
    tape_node *y = make(t, rows, cols, a, NULL, back_moved);
    y->index = index;
    for (size_t i = 0; i < elements(y); i++) arb_set(y->v + i, a->v + index[i]);
    return y;
}

tape_node *tape_gather_rows(tape *t, tape_node *a, size_t n, const size_t *row)
{
    size_t *index = get(n * a->cols, sizeof *index);
    for (size_t i = 0; i < n * a->cols; i++) index[i] = row[i / a->cols] * a->cols + i % a->cols;
    return gathered(t, a, n, a->cols, index);
}

tape_node *tape_gather_cols(tape *t, tape_node *a, size_t n, const size_t *col)
{
    size_t *index = get(a->rows * n, sizeof *index);
    for (size_t i = 0; i < a->rows * n; i++) index[i] = i / n * a->cols + col[i];
    return gathered(t, a, a->rows, n, index);
}

static void back_scatter(tape *t, tape_node *y)
{
    for (size_t i = 0; i < elements(y->a); i++) give(t, y->a, i, gradient(y, y->index[i]));
}

tape_node *tape_scatter_cols(tape *t, tape_node *a, size_t cols, const size_t *col)
{
    tape_node *y = make(t, a->rows, cols, a, NULL, back_scatter);
    y->index = get(elements(a), sizeof *y->index);
    for (size_t i = 0; i < elements(a); i++) {
        y->index[i] = i / a->cols * cols + col[i];
        arb_set(y->v + y->index[i], a->v + i);
    }
    return y;
}

static void back_concat(tape *t, tape_node *y)
{
    size_t row = 0, col = 0;
    for (size_t p = 0; p < y->parts; p++) {
        tape_node *a = y->part[p];
        for (size_t i = 0; i < a->rows; i++)
            for (size_t j = 0; j < a->cols; j++)
                give(t, a, i * a->cols + j, gradient(y, (row + i) * y->cols + col + j));
        if (y->kind)
            col += a->cols;
        else
            row += a->rows;
    }
}

static tape_node *concat(tape *t, size_t n, tape_node *const *a, bool side_by_side)
{
    size_t rows = 0, cols = 0, row = 0, col = 0;
    for (size_t p = 0; p < n; p++) {
        rows = side_by_side ? a[0]->rows : rows + a[p]->rows;
        cols = side_by_side ? cols + a[p]->cols : a[0]->cols;
    }
    tape_node *y = make(t, rows, cols, NULL, NULL, back_concat);
    y->kind = side_by_side;
    y->parts = n;
    y->part = get(n, sizeof *y->part);
    for (size_t p = 0; p < n; p++) {
        y->part[p] = a[p];
        y->wants |= a[p]->wants;
        for (size_t i = 0; i < a[p]->rows; i++)
            for (size_t j = 0; j < a[p]->cols; j++)
                arb_set(y->v + (row + i) * cols + col + j, a[p]->v + i * a[p]->cols + j);
        if (side_by_side)
            col += a[p]->cols;
        else
            row += a[p]->rows;
    }
    return y;
}

tape_node *tape_concat_rows(tape *t, size_t n, tape_node *const *a) { return concat(t, n, a, false); }
tape_node *tape_concat_cols(tape *t, size_t n, tape_node *const *a) { return concat(t, n, a, true); }

/* --- linear -------------------------------------------------------------------------------------------------- */

/* Values or gradients as doubles, [rows, cols], or transposed. */
static double *numbers(const tape_node *y, bool gradients, bool across)
{
    double *x = get(elements(y), sizeof *x);
    for (size_t i = 0; i < y->rows; i++)
        for (size_t j = 0; j < y->cols; j++) {
            const size_t e = i * y->cols + j;
            x[across ? j * y->rows + i : e] = gradients ? gradient(y, e) : value(y, e);
        }
    return x;
}

/* c = rows of a [m, k] times rows of b [n, k]; into the values of y or its gradient */
static void multiply(tape *t, double *a, double *b, size_t m, size_t n, size_t k, tape_node *y, bool gradients)
{
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            const double c = reduce(t, a + i * k, b + j * k, k);
            if (gradients)
                give(t, y, i * n + j, c);
            else
                put(y, i * n + j, c);
        }
    free(a);
    free(b);
}

enum { NN, NT, TN };

static void back_matmul(tape *t, tape_node *y)
{
    tape_node *a = y->a, *b = y->b;
    const size_t m = y->rows, n = y->cols, k = y->n;
    if (a->wants && y->kind == NN) multiply(t, numbers(y, true, false), numbers(b, false, false), m, k, n, a, true);
    if (a->wants && y->kind == NT) multiply(t, numbers(y, true, false), numbers(b, false, true), m, k, n, a, true);
    if (a->wants && y->kind == TN) multiply(t, numbers(b, false, false), numbers(y, true, false), k, m, n, a, true);
    if (b->wants && y->kind == NN) multiply(t, numbers(a, false, true), numbers(y, true, true), k, n, m, b, true);
    if (b->wants && y->kind == NT) multiply(t, numbers(y, true, true), numbers(a, false, true), n, k, m, b, true);
    if (b->wants && y->kind == TN) multiply(t, numbers(a, false, false), numbers(y, true, true), k, n, m, b, true);
}

static tape_node *matmul(tape *t, tape_node *a, tape_node *b, int kind)
{
    const size_t m = kind == TN ? a->cols : a->rows, n = kind == NT ? b->rows : b->cols;
    tape_node *y = make(t, m, n, a, b, back_matmul);
    y->kind = kind;
    y->n = kind == TN ? a->rows : a->cols;
    multiply(t, numbers(a, false, kind == TN), numbers(b, false, kind != NT), m, n, y->n, y, false);
    return y;
}

tape_node *tape_matmul_nn(tape *t, tape_node *a, tape_node *b) { return matmul(t, a, b, NN); }
tape_node *tape_matmul_nt(tape *t, tape_node *a, tape_node *b) { return matmul(t, a, b, NT); }
tape_node *tape_matmul_tn(tape *t, tape_node *a, tape_node *b) { return matmul(t, a, b, TN); }

static size_t target(int axis, size_t i, size_t j) { return axis == TAPE_ROWS ? j : axis == TAPE_COLS ? i : 0; }

static void back_sum(tape *t, tape_node *y)
{
    const tape_node *a = y->a;
    for (size_t i = 0; i < elements(y); i++)
        if (y->n != 1) arb_set_d(y->g + i, share(t, gradient(y, i), y->n));
    for (size_t i = 0; i < a->rows; i++)
        for (size_t j = 0; j < a->cols; j++) give(t, y->a, i * a->cols + j, gradient(y, target(y->kind, i, j)));
}

tape_node *tape_mean(tape *t, tape_node *a, int axis, size_t n)
{
    tape_node *y = make(t, axis == TAPE_COLS ? a->rows : 1, axis == TAPE_ROWS ? a->cols : 1, a, NULL, back_sum);
    y->kind = axis;
    y->n = n;
    double *x = numbers(a, false, axis == TAPE_ROWS);
    const size_t count = elements(y) ? elements(a) / elements(y) : 0;
    for (size_t i = 0; i < elements(y); i++) {
        const double s = n == 1 ? reduce(t, x + i * count, NULL, count) : accumulated(t, x + i * count, NULL, count);
        put(y, i, n == 1 ? s : share(t, s, n));
    }
    free(x);
    return y;
}

tape_node *tape_sum(tape *t, tape_node *a, int axis) { return tape_mean(t, a, axis, 1); }

static void back_sum_groups(tape *t, tape_node *y)
{
    for (size_t i = 0; i < y->a->rows; i++)
        for (size_t j = 0; j < y->cols; j++) give(t, y->a, i * y->cols + j, gradient(y, i / y->n * y->cols + j));
}

tape_node *tape_sum_groups(tape *t, tape_node *a, size_t n)
{
    tape_node *y = make(t, a->rows / n, a->cols, a, NULL, back_sum_groups);
    double *x = get(n, sizeof *x);
    y->n = n;
    for (size_t i = 0; i < y->rows; i++)
        for (size_t j = 0; j < y->cols; j++) {
            for (size_t k = 0; k < n; k++) x[k] = value(a, (i * n + k) * a->cols + j);
            put(y, i * y->cols + j, reduce(t, x, NULL, n));
        }
    free(x);
    return y;
}

static double times(tape *t, double x, double c)
{
    return A(t, x * (correct_how.stores ? store(t, c) : nearest(&t->p->arithmetic, c)));
}

static void back_scale(tape *t, tape_node *y)
{
    for (size_t i = 0; i < elements(y); i++) give(t, y->a, i, times(t, gradient(y, i), y->constant));
}

tape_node *tape_scale(tape *t, tape_node *a, double c)
{
    tape_node *y = make(t, a->rows, a->cols, a, NULL, back_scale);
    y->constant = c;
    for (size_t i = 0; i < elements(y); i++) put(y, i, times(t, value(a, i), c));
    return y;
}

tape_node *tape_offset(tape *t, tape_node *a, const double *c, bool maximum)
{
    (void)maximum;
    tape_node *y = make(t, a->rows, a->cols, a, NULL, back_moved);
    for (size_t i = 0; i < elements(y); i++) put(y, i, A(t, value(a, i) + nearest(&t->p->arithmetic, c[i / a->cols])));
    return y;
}

/* --- elementwise --------------------------------------------------------------------------------------------- */

enum { ADD, SUB, MUL, DIV };

static size_t source(const tape_node *a, size_t i, size_t j)
{
    return (a->rows == 1 ? 0 : i) * a->cols + (a->cols == 1 ? 0 : j);
}

static double sent(tape *t, const tape_node *y, size_t i, size_t j, bool second)
{
    const size_t e = i * y->cols + j;
    const double g = gradient(y, e), a = value(y->a, source(y->a, i, j)), b = value(y->b, source(y->b, i, j));
    switch (y->kind) {
    case ADD:
        return g;
    case SUB:
        return second ? -g : g;
    case MUL:
        return A(t, g * (second ? a : b));
    default:
        return second ? -A(t, A(t, g * value(y, e)) / b) : A(t, g / b);
    }
}

static void back_operand(tape *t, tape_node *y, tape_node *x, bool second)
{
    if (!x->wants) return;
    const bool down = x->rows == 1 && y->rows != 1, across = x->cols == 1 && y->cols != 1;
    double *terms = get(elements(y), sizeof *terms);
    for (size_t r = 0; r < x->rows; r++)
        for (size_t s = 0; s < x->cols; s++) {
            size_t n = 0;
            for (size_t i = down ? 0 : r; i < (down ? y->rows : r + 1) && i < y->rows; i++)
                for (size_t j = across ? 0 : s; j < (across ? y->cols : s + 1) && j < y->cols; j++) {
                    const double c = sent(t, y, i, j, second);
                    if (c != 0) terms[n++] = c;
                }
            give(t, x, r * x->cols + s, n == 1 ? terms[0] : reduce(t, terms, NULL, n));
        }
    free(terms);
}

static void back_operation(tape *t, tape_node *y)
{
    back_operand(t, y, y->a, false);
    back_operand(t, y, y->b, true);
}

static tape_node *operation(tape *t, int kind, tape_node *a, tape_node *b)
{
    tape_node *y = make(t, a->rows == 1 ? b->rows : a->rows, a->cols == 1 ? b->cols : a->cols, a, b, back_operation);
    y->kind = kind;
    for (size_t i = 0; i < y->rows; i++)
        for (size_t j = 0; j < y->cols; j++) {
            const double u = value(a, source(a, i, j)), v = value(b, source(b, i, j));
            put(y, i * y->cols + j, A(t, kind == ADD ? u + v : kind == SUB ? u - v : kind == MUL ? u * v : u / v));
        }
    return y;
}

tape_node *tape_add(tape *t, tape_node *a, tape_node *b) { return operation(t, ADD, a, b); }
tape_node *tape_sub(tape *t, tape_node *a, tape_node *b) { return operation(t, SUB, a, b); }
tape_node *tape_mul(tape *t, tape_node *a, tape_node *b) { return operation(t, MUL, a, b); }
tape_node *tape_div(tape *t, tape_node *a, tape_node *b) { return operation(t, DIV, a, b); }

/* --- functions ----------------------------------------------------------------------------------------------- */

static const double root_half = 0x1.6a09e667f3bcdp-1, root_2_pi = 0x1.9884533d43651p-1, /* sqrt(1/2), sqrt(2/pi) */
    two_root_pi = 0x1.20dd750429b6dp+0, density = 0x1.9884533d43651p-2; /* 2/sqrt(pi), 1/sqrt(2 pi) */

static double sigmoid(tape *t, double x)
{
    if (correct_how.other && x < 0) {
        const double e = E(t, exp(x));
        return A(t, e / A(t, 1 + e));
    }
    return A(t, 1 / A(t, 1 + E(t, exp(-x))));
}

static double softplus(tape *t, double x)
{
    if (correct_how.other && x < 15) return E(t, log1p(E(t, exp(x))));
    return A(t, fmax(x, 0) + E(t, log1p(E(t, exp(-fabs(x))))));
}

static double normal_cdf(tape *t, double x)
{
    const double z = times(t, x, root_half);
    return correct_how.other ? A(t, 0.5 * E(t, erfc(-z))) : A(t, 0.5 * A(t, 1 + E(t, erf(z))));
}

static double normal_pdf(tape *t, double x) { return times(t, E(t, exp(A(t, -0.5 * A(t, x * x)))), density); }

static double tanh_part(tape *t, double x)
{
    const double cube = A(t, A(t, x * x) * x);
    return E(t, tanh(times(t, A(t, x + times(t, cube, 0.044715)), root_2_pi)));
}

static double function(tape *t, tape_function f, double x)
{
    switch (f) {
    case TAPE_EXP:
        return E(t, exp(x));
    case TAPE_EXPM1:
        return E(t, expm1(x));
    case TAPE_LOG:
        return E(t, log(x));
    case TAPE_LOG1P:
        return E(t, log1p(x));
    case TAPE_TANH:
        return E(t, tanh(x));
    case TAPE_ERF:
        return E(t, erf(x));
    case TAPE_ERFC:
        return E(t, erfc(x));
    case TAPE_SQUARE:
        return A(t, x * x);
    case TAPE_RELU:
        return x > 0 ? x : 0;
    case TAPE_SIGMOID:
        return sigmoid(t, x);
    case TAPE_SOFTPLUS:
    case TAPE_SOFTPLUS20:
        return softplus(t, x);
    case TAPE_SILU:
        return A(t, x * sigmoid(t, x));
    case TAPE_GELU:
        return A(t, x * normal_cdf(t, x));
    case TAPE_GELU_TANH:
        return A(t, A(t, 0.5 * x) * A(t, 1 + tanh_part(t, x)));
    case TAPE_NORMAL_CDF:
        return normal_cdf(t, x);
    case TAPE_NORMAL_PDF:
        return normal_pdf(t, x);
    case TAPE_SQRT:
        return A(t, sqrt(x));
    case TAPE_XLOGX:
        return x == 0 ? 0 : A(t, x * E(t, log(x)));
    }
    return NAN;
}

static double slope_of_gelu_tanh(tape *t, double x)
{
    const double th = tanh_part(t, x);
    const double du = times(t, A(t, 1 + times(t, A(t, x * x), 0.134145)), root_2_pi);
    return A(t, A(t, 0.5 * A(t, 1 + th)) + A(t, A(t, A(t, 0.5 * x) * A(t, 1 - A(t, th * th))) * du));
}

static double slope(tape *t, tape_function f, double x, double y)
{
    double s;
    switch (f) {
    case TAPE_EXP:
        return y;
    case TAPE_EXPM1:
        return correct_how.other ? E(t, exp(x)) : A(t, y + 1);
    case TAPE_TANH:
        return A(t, 1 - A(t, y * y));
    case TAPE_ERF:
    case TAPE_ERFC:
        s = times(t, E(t, exp(-A(t, x * x))), two_root_pi);
        return f == TAPE_ERFC ? -s : s;
    case TAPE_SIGMOID:
        return A(t, y * A(t, 1 - y));
    case TAPE_SOFTPLUS:
    case TAPE_SOFTPLUS20:
        return sigmoid(t, x);
    case TAPE_SILU:
        s = sigmoid(t, x);
        return A(t, s * A(t, 1 + A(t, x * A(t, 1 - s))));
    case TAPE_GELU:
        return A(t, normal_cdf(t, x) + A(t, x * normal_pdf(t, x)));
    case TAPE_GELU_TANH:
        return slope_of_gelu_tanh(t, x);
    case TAPE_NORMAL_CDF:
        return normal_pdf(t, x);
    case TAPE_NORMAL_PDF:
        return -A(t, x * y);
    case TAPE_XLOGX:
        return A(t, E(t, log(x)) + 1);
    default:
        return NAN;
    }
}

static void back_apply(tape *t, tape_node *y)
{
    const tape_function f = (tape_function)y->kind;
    for (size_t i = 0; i < elements(y); i++) {
        const double g = gradient(y, i), x = value(y->a, i), v = value(y, i);
        if (g == 0 || (f == TAPE_XLOGX && x == 0)) continue;
        if (f == TAPE_RELU)
            give(t, y->a, i, x > 0 ? g : 0);
        else if (f == TAPE_LOG || f == TAPE_LOG1P)
            give(t, y->a, i, A(t, g / (f == TAPE_LOG ? x : A(t, 1 + x))));
        else if (f == TAPE_SQRT)
            give(t, y->a, i, A(t, g / (2 * v)));
        else if (f == TAPE_SQUARE)
            give(t, y->a, i, A(t, g * (2 * x)));
        else
            give(t, y->a, i, A(t, g * slope(t, f, x, v)));
    }
}

tape_node *tape_apply(tape *t, tape_function f, tape_node *a)
{
    tape_node *y = make(t, a->rows, a->cols, a, NULL, back_apply);
    y->kind = (int)f;
    for (size_t i = 0; i < elements(y); i++) put(y, i, function(t, f, value(a, i)));
    return y;
}

static void back_norm(tape *t, tape_node *y)
{
    for (size_t i = 0; i < y->rows; i++)
        for (size_t j = 0; j < y->a->cols && value(y, i) != 0; j++)
            give(t, y->a, i * y->a->cols + j, A(t, gradient(y, i) * A(t, value(y->a, i * y->a->cols + j) / value(y, i))));
}

tape_node *tape_norm(tape *t, tape_node *a)
{
    tape_node *y = make(t, a->rows, 1, a, NULL, back_norm);
    double *x = numbers(a, false, false);
    for (size_t i = 0; i < a->rows; i++) {
        const double *row = x + i * a->cols;
        double s = accumulated(t, row, row, a->cols);
        const bool fits = s >= tiny_of(&t->p->storage) && s <= t->p->storage.largest; /* squares are often out of range */
        if (correct_how.stores && fits) s = store(t, s);
        put(y, i, a->cols == 1 ? fabs(row[0]) : A(t, sqrt(s)));
    }
    free(x);
    return y;
}

tape_node *tape_max(tape *t, tape_node *a)
{
    size_t *index = get(a->rows, sizeof *index);
    for (size_t i = 0; i < a->rows; i++) {
        index[i] = i * a->cols;
        for (size_t e = index[i] + 1; e < (i + 1) * a->cols; e++)
            if (value(a, e) > value(a, index[i])) index[i] = e;
    }
    return gathered(t, a, a->rows, 1, index);
}

static void back_distances(tape *t, tape_node *y)
{
    tape_node *a = y->a;
    const size_t n = a->rows, p = a->cols;
    double *g = get(2 * n, sizeof *g), *d = g + n;
    for (size_t i = 0; i < n && a->wants; i++)
        for (size_t k = 0; k < p; k++) {
            for (size_t j = 0; j < n; j++) {
                g[j] = A(t, gradient(y, i * n + j) + gradient(y, j * n + i));
                d[j] = A(t, value(a, i * p + k) - value(a, j * p + k));
            }
            give(t, a, i * p + k, 2 * reduce(t, g, d, n));
        }
    free(g);
}

tape_node *tape_distances(tape *t, tape_node *a)
{
    const size_t n = a->rows, p = a->cols;
    tape_node *y = make(t, n, n, a, NULL, back_distances);
    double *d = get(p, sizeof *d);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            for (size_t k = 0; k < p; k++) d[k] = A(t, value(a, i * p + k) - value(a, j * p + k));
            put(y, i * n + j, reduce(t, d, d, p));
        }
    free(d);
    return y;
}

tape_node *tape_kth(tape *t, tape_node *a, size_t k)
{
    size_t *index = get(1, sizeof *index);
    for (size_t e = 0; e < elements(a); e++) {
        size_t below = 0;
        for (size_t o = 0; o < elements(a); o++) below += value(a, o) < value(a, e) || (value(a, o) == value(a, e) && o < e);
        if (below == k) *index = e;
    }
    return gathered(t, a, 1, 1, index);
}

/* --- what is exact, or no business of an implementation ------------------------------------------------------ */

static void back_either(tape *t, tape_node *y)
{
    for (size_t i = 0; i < elements(y); i++) give(t, correct_how.other ? y->b : y->a, i, gradient(y, i));
}

tape_node *tape_either(tape *t, tape_node *a, tape_node *b)
{
    tape_node *y = make(t, a->rows, a->cols, a, b, back_either), *taken = correct_how.other ? b : a;
    for (size_t i = 0; i < elements(y); i++) arb_set(y->v + i, taken->v + i);
    return y;
}

tape_node *tape_aside(tape *t, tape_node *a) { return same(t, a); }
tape_node *tape_open(tape *t, tape_node *a) { return same(t, a); }

tape_node *tape_close(tape *t, tape_node *y, size_t n, tape_node *const *opened)
{
    tape_node *c = same(t, y);
    c->parts = n;
    c->part = get(n, sizeof *c->part);
    memcpy(c->part, opened, n * sizeof *c->part);
    return c;
}

tape_node *tape_slack(tape *t, tape_node *a, const double *forward, const double *reverse)
{
    (void)forward;
    (void)reverse;
    return same(t, a);
}

tape_node *tape_scale_gradient(tape *t, tape_node *a, double c)
{
    (void)c; /* a mistake, and none of ours */
    return same(t, a);
}
