/* The tape: nodes, the rules of rounding, sums and products, elementwise operations, reverse.  Functions of one
 * variable are in tape_apply.c. */
#include "tape_rounding.h"

#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* --- rounding --- */

/* 2^digits; at most 53 of them, and no call of ldexp for each element */
static double full(const twin_format *f) { return (double)(UINT64_C(1) << f->digits); }
static double unit(const twin_format *f) { return 1 / full(f); }

double tape_upper_of(arb_srcptr v)
{
    mag_t m;
    mag_init(m);
    arb_get_mag(m, v);
    const double d = mag_get_d(m); /* 30 bits: exact in a double */
    mag_clear(m);
    return d;
}

/* The exponent of the last bit of x, and the number of its bits.  Far beyond every format the exponent is clamped, so that
 * two of them can be added. */
static long last_bit(arf_srcptr x, long *bits)
{
    const long most = LONG_MAX / 4, top = (long)arf_abs_bound_lt_2exp_si(x);
    *bits = (long)arf_bits(x);
    return (top < -most ? -most : top > most ? most : top) - *bits;
}

static int finest(const twin_format *f)
{
    return ilogb(f->underflow) + 1; /* below, results are not on the format's full grid or may be flushed */
}

static bool fits(const twin_format *f, arf_srcptr x)
{
    if (arf_is_zero(x)) return true;
    if (!arf_is_finite(x)) return false;
    long bits;
    return last_bit(x, &bits) >= finest(f) && bits <= f->digits && arf_cmpabs_d(x, f->largest) <= 0;
}

void tape_grow(arb_t v, double r)
{
    if (r == 0) return;
    if (r < 0) abort(); /* Arb would take its magnitude */
    mag_t m;
    mag_init(m);
    mag_set_d(m, r * (1 + 0x1p-40) + 0x1p-1074); /* r was computed in doubles: cover that as well */
    arb_add_error_mag(v, m);
    mag_clear(m);
}

static void round_to(const twin_format *f, bool ranged, arb_t v)
{
    const double m = tape_upper_of(v);
    if (ranged && !(m <= f->largest))
        mag_inf(arb_radref(v));
    else
        tape_grow(v, fmax(unit(f) * m, f->underflow));
}

static bool exact(arb_srcptr v) { return mag_is_zero(arb_radref(v)) && arf_is_finite(arb_midref(v)); }

/* One operation in the arithmetic and its store.  An exact result that both formats can hold is that number. */
void tape_settle(const tape *t, arb_t v)
{
    if (!t->profile || arb_is_zero(v)) return;
    if (!(exact(v) && fits(&t->profile->arithmetic, arb_midref(v))))
        round_to(&t->profile->arithmetic, true, v);
    else if (fits(&t->profile->storage, arb_midref(v)))
        return;
    if (t->coarse) round_to(&t->profile->storage, true, v);
}

/* k more operations on the way to v, each with its store, than the one that tape_settle() accounts for. */
static void loosen(const tape *t, double k, arb_t v)
{
    if (t->profile) tape_grow(v, k * t->w * tape_upper_of(v));
}

static void tally_add(tape_tally *s, arb_srcptr term)
{
    if (arb_is_zero(term)) return; /* x + 0 is x in every format */
    long bits;
    const long grid = arf_is_finite(arb_midref(term)) ? last_bit(arb_midref(term), &bits) : 0;
    if (s->terms++ == 0) {
        s->exact = true;
        s->grid = grid;
    }
    if (grid < s->grid) s->grid = grid;
    s->exact &= exact(term);
    s->magnitude += tape_upper_of(term);
}

/* Every partial sum, in any order, is a multiple of the grid with few enough bits. */
static bool exact_in(const twin_format *f, const tape_tally *s)
{
    return s->exact && s->grid >= finest(f) && s->magnitude <= f->largest &&
           s->magnitude * (1 + 0x1p-20) < full(f) * ldexp(1, (int)s->grid);
}

/* v is a sum of the tallied terms; each of them goes through at most `roundings` operations of the arithmetic. */
static void round_sum(const tape *t, const tape_tally *s, unsigned long roundings, bool ranged, arb_t v)
{
    if (!t->profile || s->terms == 0 || roundings == 0) return;
    const twin_format *f = &t->profile->arithmetic;
    if (exact_in(f, s)) {
        if (exact(v) && fits(&t->profile->storage, arb_midref(v))) return;
    } else {
        const double n = (double)roundings, nu = n * unit(f);
        if (!(s->magnitude <= f->largest) || nu >= 0.5) {
            mag_inf(arb_radref(v));
            return;
        }
        tape_grow(v, nu / (1 - nu) * s->magnitude + n * f->underflow);
    }
    if (t->coarse) round_to(&t->profile->storage, ranged, v);
}

/* v is a sum of the tallied terms that is stored after every addition: all partial sums but the last, which is v, are
 * at most the sum of magnitudes. */
static void round_stored_sum(const tape *t, const tape_tally *s, arb_t v)
{
    if (!t->profile || s->terms < 2) return;
    if (exact_in(&t->profile->storage, s) && exact_in(&t->profile->arithmetic, s)) return;
    const double m = (double)(s->terms - 2);
    const double largest = fmin(t->profile->storage.largest, t->profile->arithmetic.largest);
    if (s->terms == 2 && exact(v) && fits(&t->profile->storage, arb_midref(v)) &&
        fits(&t->profile->arithmetic, arb_midref(v)))
        return;
    if (!(s->magnitude <= largest) || m * t->w >= 0.5) {
        mag_inf(arb_radref(v));
        return;
    }
    tape_grow(v, t->w * (tape_upper_of(v) + m / (1 - m * t->w) * s->magnitude) +
                     (m + 1) * (t->profile->storage.underflow + t->profile->arithmetic.underflow));
}

/* --- nodes --- */

static void *get(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    if (!p) abort();
    return p;
}

static size_t elements(const tape_node *a) { return a->rows * a->cols; }

/* Does the storage not hold all numbers of the arithmetic? */
static bool is_coarse(const twin_profile *p)
{
    const twin_format *f = &p->storage, *g = &p->arithmetic;
    return unit(f) > unit(g) || f->underflow > g->underflow || f->largest < g->largest;
}

/* One operation and its store, relative. */
static double store_unit(const twin_profile *p)
{
    const double us = unit(&p->storage), ua = unit(&p->arithmetic);
    return is_coarse(p) ? (ua + us) * (1 + us) : ua;
}

static double elementary_unit(const twin_profile *p)
{
    const double us = unit(&p->storage);
    return 2 * p->elementary_ulp * unit(&p->arithmetic) + (is_coarse(p) ? us * (1 + us) : 0);
}

void tape_use(tape *t, const twin_profile *profile)
{
    if (!profile || profile == t->profile) return;
    const twin_format *f = &profile->storage, *g = &profile->arithmetic;
    t->profile = profile;
    t->coarse = is_coarse(profile);
    t->w = store_unit(profile);
    t->e = elementary_unit(profile);
    /* a vectorised exp may flush subnormal results even where the arithmetic does not */
    const double normal = g->digits == 53 ? 0x1p-1022 : g->underflow;
    t->floor = fmax(normal, f->underflow);
    t->most_w = fmax(t->most_w, t->w);
    t->most_e = fmax(t->most_e, t->e);
    t->most_u = fmax(t->most_u, unit(g));
}

tape *tape_new(const twin_profile *profile, long prec)
{
    tape *t = get(1, sizeof *t);
    t->rest = profile;
    t->prec = prec;
    tape_use(t, profile);
    return t;
}

/* --- roundoffs node by node --- */

/* known: by number of the node; without a name as long as nothing has been planned for it.  seen: the last of the additions
 * that came by. */
struct tape_plan {
    size_t nodes, additions;
    twin_profile *known, level; /* level: of the nodes that are not known; without a name: the tape's own */
    size_t *seen, *shape;
};

tape_plan *tape_plan_new(const tape *t)
{
    tape_plan *p = get(1, sizeof *p);
    p->nodes = t->nodes;
    p->known = get(p->nodes, sizeof *p->known);
    p->seen = get(p->nodes, sizeof *p->seen);
    p->shape = get(2 * p->nodes, sizeof *p->shape);
    for (const tape_node *y = t->first; y; y = y->next) {
        p->shape[2 * y->number] = y->rows;
        p->shape[2 * y->number + 1] = y->cols;
    }
    return p;
}

void tape_plan_free(tape_plan *p)
{
    if (!p) return;
    free(p->known);
    free(p->seen);
    free(p->shape);
    free(p);
}

static void coarsen(twin_format *f, const twin_format *other)
{
    if (other->digits < f->digits) f->digits = other->digits;
    f->underflow = fmax(f->underflow, other->underflow);
    f->largest = fmin(f->largest, other->largest);
}

static void plan_node(twin_profile *known, const twin_profile *profile)
{
    if (!known->name) {
        *known = *profile;
        return;
    }
    coarsen(&known->storage, &profile->storage);
    coarsen(&known->arithmetic, &profile->arithmetic);
    known->elementary_ulp = fmax(known->elementary_ulp, profile->elementary_ulp);
}

static void plan_from(tape_plan *plan, const tape_node *y, const twin_profile *profile, bool first)
{
    if (!y || (y->named && !first) || plan->seen[y->number] == plan->additions) return;
    plan->seen[y->number] = plan->additions;
    plan_node(&plan->known[y->number], profile);
    if (y->base != y) plan_from(plan, y->base, profile, first);
    plan_from(plan, y->a, profile, false);
    plan_from(plan, y->b, profile, false);
    for (size_t i = 0; i < y->parts; i++) plan_from(plan, y->part[i], profile, false);
}

void tape_plan_add(tape_plan *plan, const tape_node *y, const twin_profile *profile)
{
    plan->additions++;
    plan_from(plan, y, profile, true);
}

void tape_plan_level(tape_plan *plan, const twin_profile *profile)
{
    plan->level = *profile;
    for (const twin_profile *o = profile->tensor; o && o->name; o++) plan_node(&plan->level, o);
    plan->nodes = 0;
}

bool tape_plan_fits(const tape_plan *plan, const tape *t)
{
    bool same = plan->nodes == t->nodes;
    for (const tape_node *y = t->first; y && same; y = y->next)
        same = plan->shape[2 * y->number] == y->rows && plan->shape[2 * y->number + 1] == y->cols;
    return same;
}

static const twin_profile *planned(const tape *t, size_t number)
{
    const tape_plan *p = t->plan;
    if (p && number < p->nodes && p->known[number].name) return &p->known[number];
    return p && p->level.name ? &p->level : t->rest;
}

void tape_follow(tape *t, const tape_plan *plan)
{
    t->plan = plan;
    for (size_t i = 0; i <= plan->nodes; i++) tape_use(t, planned(t, i)); /* the coarsest, before anybody asks */
}

static void node_free(tape_node *y)
{
    const slong n = (slong)elements(y);
    if (y->base == y) _arb_vec_clear(y->v, n);
    if (y->g) _arb_vec_clear(y->g, n);
    free(y->tally);
    free(y->beside);
    free(y->part);
    free(y->index);
    free(y->array);
    free(y);
}

void tape_free(tape *t)
{
    if (!t) return;
    for (tape_node *y = t->first, *next; y; y = next) {
        next = y->next;
        node_free(y);
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
    if (t->plan) tape_use(t, planned(t, y->number));
    y->previous = t->last;
    if (t->last)
        t->last->next = y;
    else
        t->first = y;
    t->last = y;
    return y;
}

void tape_together(tape *t, size_t n) { t->together = n; }

tape_node *tape_make(tape *t, size_t rows, size_t cols, tape_node *a, tape_node *b, tape_reverse *back)
{
    tape_node *y = link_node(t, rows, cols);
    y->v = _arb_vec_init((slong)(rows * cols));
    y->a = a;
    y->b = b;
    y->back = back;
    y->wants = (a && a->wants) || (b && b->wants);
    return y;
}

static size_t *copy_index(const size_t *index, size_t n)
{
    size_t *p = get(n, sizeof *p);
    if (n) memcpy(p, index, n * sizeof *p);
    return p;
}

static double *copy_array(const double *x, size_t n)
{
    if (!x) return NULL;
    double *p = get(n, sizeof *p);
    if (n) memcpy(p, x, n * sizeof *p);
    return p;
}

/* Adds c to element e of x's gradient. */
void tape_give(tape *t, tape_node *x, size_t e, arb_t c)
{
    if (!x->wants || arb_is_zero(c)) return;
    tape_node *y = x->base;
    e += x->offset;
    if (!y->g) {
        y->g = _arb_vec_init((slong)elements(y));
        if (t->profile) y->tally = get(elements(y), sizeof *y->tally);
    }
    if (t->profile) tally_add(&y->tally[e], c);
    arb_add(y->g + e, y->g + e, c, t->prec);
}

arb_srcptr tape_gradient(const tape_node *a) { return a->base->g ? a->base->g + a->offset : NULL; }

void tape_seed(tape *t, tape_node *a, const double *cotangent)
{
    arb_t c;
    arb_init(c);
    for (size_t i = 0; i < elements(a); i++) {
        arb_set_d(c, cotangent[i]);
        if (t->profile && !fits(&t->profile->storage, arb_midref(c))) round_to(&t->profile->storage, true, c);
        tape_give(t, a, i, c);
    }
    arb_clear(c);
}

static void give_beside(tape *t, tape_node *y)
{
    arb_t c;
    arb_init(c);
    for (size_t i = 0; i < elements(y); i++) {
        arb_zero(c);
        tape_grow(c, y->beside[i]);
        tape_give(t, y, i, c);
    }
    arb_clear(c);
    free(y->beside);
    y->beside = NULL;
}

/* The one contribution that a gradient may consist of, in a format of its own. */
static void store_gradient(const tape *t, tape_node *y)
{
    const twin_format *f = &t->profile->storage;
    for (size_t i = 0; i < elements(y); i++)
        if (!arb_is_zero(y->g + i) && !(exact(y->g + i) && fits(f, arb_midref(y->g + i)))) round_to(f, true, y->g + i);
}

void tape_backward(tape *t)
{
    for (tape_node *y = t->last; y; y = y->previous) {
        if (t->plan) tape_use(t, y->stored ? y->stored : planned(t, y->number));
        if (y->beside) give_beside(t, y);
        if (!y->g) continue;
        if (y->tally)
            for (size_t i = 0; i < elements(y); i++) round_stored_sum(t, &y->tally[i], y->g + i);
        if (y->stored) store_gradient(t, y);
        if (y->back) y->back(t, y);
        if (y->leaf) continue;
        _arb_vec_clear(y->g, (slong)elements(y));
        y->g = NULL;
        free(y->tally);
        y->tally = NULL;
    }
}

bool tape_rounds(const tape *t) { return t->profile != NULL; }

double tape_u(const tape *t) { return t->most_w; }

double tape_elementary(const tape *t) { return t->most_e; }

double tape_u_next(const tape *t) { return t->plan ? store_unit(planned(t, t->nodes)) : t->w; }

double tape_elementary_next(const tape *t) { return t->plan ? elementary_unit(planned(t, t->nodes)) : t->e; }

double tape_arithmetic(const tape *t) { return t->most_u; }

double tape_upper(const tape_node *a, size_t element) { return tape_upper_of(a->v + element); }

double tape_middle(const tape_node *a, size_t element) { return arf_get_d(arb_midref(a->v + element), ARF_RND_NEAR); }

/* --- what is given --- */

tape_node *tape_leaf(tape *t, size_t rows, size_t cols, const double *x, bool wants)
{
    tape_node *y = tape_make(t, rows, cols, NULL, NULL, NULL);
    y->leaf = true;
    y->wants = wants;
    for (size_t i = 0; i < rows * cols; i++) {
        arb_set_d(y->v + i, x[i]);
        if (t->profile && !fits(&t->profile->storage, arb_midref(y->v + i)))
            round_to(&t->profile->storage, true, y->v + i);
    }
    return y;
}

/* v / n for a count n, as a division or as a product with a rounded 1/n: exact for powers of two alone. */
static void divide_by_count(const tape *t, size_t n, arb_t v)
{
    arb_div_ui(v, v, (ulong)n, t->prec);
    if (n == 0 || (n & (n - 1)) != 0) loosen(t, 1, v);
    tape_settle(t, v);
}

tape_node *tape_ratio(tape *t, size_t rows, size_t cols, const size_t *count, size_t n)
{
    tape_node *y = tape_make(t, rows, cols, NULL, NULL, NULL);
    for (size_t i = 0; i < rows * cols; i++) {
        arb_set_ui(y->v + i, (ulong)count[i]);
        if (n != 1) divide_by_count(t, n, y->v + i);
    }
    return y;
}

tape_node *tape_fill(tape *t, size_t rows, size_t cols, double x)
{
    tape_node *y = tape_make(t, rows, cols, NULL, NULL, NULL);
    for (size_t i = 0; i < rows * cols; i++) arb_set_d(y->v + i, x);
    return y;
}

/* --- moved, not computed --- */

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

static void back_gather(tape *t, tape_node *y)
{
    for (size_t i = 0; i < elements(y); i++) tape_give(t, y->a, y->index[i], y->g + i);
}

/* y[i] = a[index[i]], with the index taken over and kept */
static tape_node *gather(tape *t, tape_node *a, size_t rows, size_t cols, size_t *index)
{
    tape_node *y = tape_make(t, rows, cols, a, NULL, back_gather);
    y->index = index;
    for (size_t i = 0; i < rows * cols; i++) arb_set(y->v + i, a->v + index[i]);
    return y;
}

tape_node *tape_gather_rows(tape *t, tape_node *a, size_t n, const size_t *row)
{
    size_t *index = get(n * a->cols, sizeof *index);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < a->cols; j++) index[i * a->cols + j] = row[i] * a->cols + j;
    return gather(t, a, n, a->cols, index);
}

tape_node *tape_gather_cols(tape *t, tape_node *a, size_t n, const size_t *col)
{
    size_t *index = get(a->rows * n, sizeof *index);
    for (size_t i = 0; i < a->rows; i++)
        for (size_t j = 0; j < n; j++) index[i * n + j] = i * a->cols + col[i * n + j];
    return gather(t, a, a->rows, n, index);
}

static void back_scatter(tape *t, tape_node *y)
{
    for (size_t i = 0; i < elements(y->a); i++) tape_give(t, y->a, i, y->g + y->index[i]);
}

tape_node *tape_scatter_cols(tape *t, tape_node *a, size_t cols, const size_t *col)
{
    tape_node *y = tape_make(t, a->rows, cols, a, NULL, back_scatter);
    y->index = copy_index(col, elements(a));
    for (size_t i = 0; i < elements(a); i++) {
        y->index[i] += i / a->cols * cols;
        arb_set(y->v + y->index[i], a->v + i);
    }
    return y;
}

static tape_node *concat(tape *t, size_t rows, size_t cols, size_t n, tape_node *const *a, tape_reverse *back)
{
    tape_node *y = tape_make(t, rows, cols, NULL, NULL, back);
    y->parts = n;
    y->part = get(n, sizeof *y->part);
    for (size_t p = 0; p < n; p++) {
        y->part[p] = a[p];
        y->wants |= a[p]->wants;
    }
    return y;
}

static void back_concat_rows(tape *t, tape_node *y)
{
    size_t at = 0;
    for (size_t p = 0; p < y->parts; p++)
        for (size_t i = 0; i < elements(y->part[p]); i++) tape_give(t, y->part[p], i, y->g + at++);
}

tape_node *tape_concat_rows(tape *t, size_t n, tape_node *const *a)
{
    size_t rows = 0, at = 0;
    for (size_t p = 0; p < n; p++) rows += a[p]->rows;
    tape_node *y = concat(t, rows, n ? a[0]->cols : 0, n, a, back_concat_rows);
    for (size_t p = 0; p < n; p++)
        for (size_t i = 0; i < elements(a[p]); i++) arb_set(y->v + at++, a[p]->v + i);
    return y;
}

static void back_concat_cols(tape *t, tape_node *y)
{
    size_t at = 0;
    for (size_t p = 0; p < y->parts; at += y->part[p++]->cols)
        for (size_t i = 0; i < y->rows; i++)
            for (size_t j = 0; j < y->part[p]->cols; j++)
                tape_give(t, y->part[p], i * y->part[p]->cols + j, y->g + i * y->cols + at + j);
}

tape_node *tape_concat_cols(tape *t, size_t n, tape_node *const *a)
{
    size_t cols = 0, at = 0;
    for (size_t p = 0; p < n; p++) cols += a[p]->cols;
    tape_node *y = concat(t, n ? a[0]->rows : 0, cols, n, a, back_concat_cols);
    for (size_t p = 0; p < n; at += a[p++]->cols)
        for (size_t i = 0; i < y->rows; i++)
            for (size_t j = 0; j < a[p]->cols; j++) arb_set(y->v + i * cols + at + j, a[p]->v + i * a[p]->cols + j);
    return y;
}

/* --- products of matrices --- */

/* Rows of an operand made contiguous: shallow copies of the balls (only read), and what a bound needs of them. */
typedef struct {
    size_t n, k;
    arb_ptr ball; /* [n, k] */
    double *upper; /* [n, k] */
    long *grid; /* [n] exponent of the finest bit in the row */
    unsigned long *full; /* [n] elements that are not 0 */
    bool *exact; /* [n] */
} panel;

/* No product of two of these underflows to 0 in double. */
static double floored(double m) { return m == 0 ? 0 : fmax(m, 0x1p-500); }

static panel panel_new(const tape *t, arb_srcptr a, size_t n, size_t k, size_t row_step, size_t col_step)
{
    panel p = {n, k, get(n * k, sizeof(arb_struct)), NULL, NULL, NULL, NULL};
    for (size_t i = 0; i < n; i++)
        for (size_t l = 0; l < k; l++) p.ball[i * k + l] = a[i * row_step + l * col_step];
    if (!t->profile) return p;
    p.upper = get(n * k, sizeof *p.upper);
    p.grid = get(n, sizeof *p.grid);
    p.full = get(n, sizeof *p.full);
    p.exact = get(n, sizeof *p.exact);
    for (size_t i = 0; i < n; i++) {
        tape_tally s = {0, 0, 0, true};
        for (size_t l = 0; l < k; l++) {
            tally_add(&s, p.ball + i * k + l);
            p.upper[i * k + l] = floored(tape_upper_of(p.ball + i * k + l));
        }
        p.grid[i] = s.grid;
        p.full[i] = s.terms;
        p.exact[i] = s.exact;
    }
    return p;
}

static void panel_free(panel *p)
{
    free(p->ball); /* shallow: the mantissas belong to the operand */
    free(p->upper);
    free(p->grid);
    free(p->full);
    free(p->exact);
}

static double dot_upper(size_t k, const double *x, const double *y)
{
    double s[8] = {0};
    size_t l = 0;
    for (; l + 8 <= k; l += 8)
        for (size_t i = 0; i < 8; i++) s[i] += x[l + i] * y[l + i];
    for (; l < k; l++) s[0] += x[l] * y[l];
    return (((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]))) * (1 + (double)k * 0x1p-51);
}

/* c = the inner product of row i of a and row j of b, or a part of one of at least that many terms */
static void inner(const tape *t, const panel *a, size_t i, const panel *b, size_t j, size_t least, arb_t c)
{
    const size_t k = a->k;
    arb_dot(c, NULL, 0, a->ball + i * k, 1, b->ball + j * k, 1, (slong)k, t->prec);
    if (!t->profile) return;
    tape_tally s;
    s.terms = a->full[i] < b->full[j] ? a->full[i] : b->full[j];
    s.exact = a->exact[i] && b->exact[j];
    s.grid = a->grid[i] + b->grid[j];
    s.magnitude = dot_upper(k, a->upper + i * k, b->upper + j * k);
    if (s.magnitude != 0) round_sum(t, &s, s.terms > least ? s.terms : least, true, c);
}

/* y = a b as rows of a against rows of b: into the values of y, or into its gradient */
static void contract(tape *t, const panel *a, const panel *b, size_t least, tape_node *y, bool gradient)
{
    arb_t c;
    arb_init(c);
    for (size_t i = 0; i < a->n; i++)
        for (size_t j = 0; j < b->n; j++) {
            inner(t, a, i, b, j, least, gradient ? c : y->v + i * b->n + j);
            if (gradient) tape_give(t, y, i * b->n + j, c);
        }
    arb_clear(c);
}

enum { NN, NT, TN };

/* Rows of x [r, c], or of its transpose. */
static panel rows_of(const tape *t, arb_srcptr x, size_t r, size_t c) { return panel_new(t, x, r, c, c, 1); }

static panel cols_of(const tape *t, arb_srcptr x, size_t r, size_t c) { return panel_new(t, x, c, r, 1, c); }

static void multiply(tape *t, panel a, panel b, size_t least, tape_node *y, bool gradient)
{
    contract(t, &a, &b, least, y, gradient);
    panel_free(&a);
    panel_free(&b);
}

/* y = a a^T: da = g a + g^T a, as two sums or as one of all their terms. */
static void back_gram(tape *t, tape_node *y)
{
    tape_node *a = y->a;
    const size_t n = a->rows, k = a->cols;
    arb_ptr both = _arb_vec_init((slong)(2 * n * n)), twice = _arb_vec_init((slong)(2 * n * k));
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            arb_set(both + i * 2 * n + j, y->g + i * n + j);
            arb_set(both + i * 2 * n + n + j, y->g + j * n + i);
        }
    _arb_vec_set(twice, a->v, (slong)(n * k));
    _arb_vec_set(twice + n * k, a->v, (slong)(n * k));
    panel left = rows_of(t, both, n, 2 * n), right = cols_of(t, twice, 2 * n, k);
    arb_t c;
    arb_init(c);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < k; j++) {
            inner(t, &left, i, &right, j, 0, c);
            if (t->profile && (t->coarse || !exact(c)))
                tape_grow(c, 2 * t->w * dot_upper(2 * n, left.upper + i * 2 * n, right.upper + j * 2 * n));
            tape_give(t, a, i * k + j, c);
        }
    arb_clear(c);
    panel_free(&left);
    panel_free(&right);
    _arb_vec_clear(both, (slong)(2 * n * n));
    _arb_vec_clear(twice, (slong)(2 * n * k));
}

static void back_matmul(tape *t, tape_node *y)
{
    tape_node *a = y->a, *b = y->b;
    const size_t m = y->rows, n = y->cols;
    if (a == b && a->wants && y->kind == NT) {
        back_gram(t, y);
        return;
    }
    if (a->wants && y->kind == NN) /* da = g b^T */
        multiply(t, rows_of(t, y->g, m, n), rows_of(t, b->v, b->rows, b->cols), 0, a, true);
    if (a->wants && y->kind == NT) /* da = g b */
        multiply(t, rows_of(t, y->g, m, n), cols_of(t, b->v, b->rows, b->cols), 0, a, true);
    if (a->wants && y->kind == TN) /* da = b g^T */
        multiply(t, rows_of(t, b->v, b->rows, b->cols), rows_of(t, y->g, m, n), 0, a, true);
    if (b->wants && y->kind == NN) /* db = a^T g */
        multiply(t, cols_of(t, a->v, a->rows, a->cols), cols_of(t, y->g, m, n), y->n, b, true);
    if (b->wants && y->kind == NT) /* db = g^T a */
        multiply(t, cols_of(t, y->g, m, n), cols_of(t, a->v, a->rows, a->cols), y->n, b, true);
    if (b->wants && y->kind == TN) /* db = a g */
        multiply(t, rows_of(t, a->v, a->rows, a->cols), cols_of(t, y->g, m, n), y->n, b, true);
}

static tape_node *matmul(tape *t, tape_node *a, tape_node *b, int kind)
{
    tape_node *y = tape_make(t, kind == TN ? a->cols : a->rows, kind == NT ? b->rows : b->cols, a, b, back_matmul);
    y->kind = kind;
    y->n = t->together;
    multiply(t, kind == TN ? cols_of(t, a->v, a->rows, a->cols) : rows_of(t, a->v, a->rows, a->cols),
             kind == NT ? rows_of(t, b->v, b->rows, b->cols) : cols_of(t, b->v, b->rows, b->cols), 0, y, false);
    return y;
}

tape_node *tape_matmul_nn(tape *t, tape_node *a, tape_node *b) { return matmul(t, a, b, NN); }

tape_node *tape_matmul_nt(tape *t, tape_node *a, tape_node *b) { return matmul(t, a, b, NT); }

tape_node *tape_matmul_tn(tape *t, tape_node *a, tape_node *b) { return matmul(t, a, b, TN); }

/* --- sums --- */

/* Adds term to sum i of `sum`, and tallies it. */
static void add_term(const tape *t, arb_ptr sum, tape_tally *tally, size_t i, arb_srcptr term)
{
    arb_add(sum + i, sum + i, term, t->prec);
    if (t->profile) tally_add(&tally[i], term);
}

/* Where element (i, j) of a goes when `axis` is summed over. */
static size_t sum_target(int axis, size_t i, size_t j) { return axis == TAPE_ROWS ? j : axis == TAPE_COLS ? i : 0; }

static void back_sum(tape *t, tape_node *y)
{
    tape_node *a = y->a;
    if (y->n != 1)
        for (size_t i = 0; i < elements(y); i++) divide_by_count(t, y->n, y->g + i);
    for (size_t i = 0; i < a->rows; i++)
        for (size_t j = 0; j < a->cols; j++) tape_give(t, a, i * a->cols + j, y->g + sum_target(y->kind, i, j));
}

tape_node *tape_mean(tape *t, tape_node *a, int axis, size_t n)
{
    tape_node *y = tape_make(t, axis == TAPE_COLS ? a->rows : 1, axis == TAPE_ROWS ? a->cols : 1, a, NULL, back_sum);
    y->kind = axis;
    y->n = n;
    tape_tally *tally = get(elements(y), sizeof *tally);
    for (size_t i = 0; i < a->rows; i++)
        for (size_t j = 0; j < a->cols; j++) add_term(t, y->v, tally, sum_target(axis, i, j), a->v + i * a->cols + j);
    for (size_t i = 0; i < elements(y); i++) {
        /* a mean may be divided before it is stored: only the mean itself must lie in the format's range */
        round_sum(t, &tally[i], tally[i].terms ? tally[i].terms - 1 : 0, n == 1, y->v + i);
        if (n != 1) divide_by_count(t, n, y->v + i);
    }
    free(tally);
    return y;
}

tape_node *tape_sum(tape *t, tape_node *a, int axis) { return tape_mean(t, a, axis, 1); }

static void back_sum_groups(tape *t, tape_node *y)
{
    for (size_t i = 0; i < y->a->rows; i++)
        for (size_t j = 0; j < y->cols; j++) tape_give(t, y->a, i * y->cols + j, y->g + i / y->n * y->cols + j);
}

tape_node *tape_sum_groups(tape *t, tape_node *a, size_t n)
{
    tape_node *y = tape_make(t, a->rows / n, a->cols, a, NULL, back_sum_groups);
    y->n = n;
    tape_tally *tally = get(elements(y), sizeof *tally);
    for (size_t i = 0; i < a->rows; i++)
        for (size_t j = 0; j < a->cols; j++) add_term(t, y->v, tally, i / n * a->cols + j, a->v + i * a->cols + j);
    for (size_t i = 0; i < elements(y); i++) round_stored_sum(t, &tally[i], y->v + i);
    free(tally);
    return y;
}

static void times_constant(const tape *t, double c, arb_t v)
{
    arb_t m;
    arb_init(m);
    arb_set_d(m, c);
    arb_mul(v, v, m, t->prec);
    if (t->profile && !fits(&t->profile->storage, arb_midref(m))) loosen(t, 1, v); /* the constant itself is rounded */
    tape_settle(t, v);
    arb_clear(m);
}

static void back_scale(tape *t, tape_node *y)
{
    for (size_t i = 0; i < elements(y); i++) {
        times_constant(t, y->constant, y->g + i);
        tape_give(t, y->a, i, y->g + i);
    }
}

tape_node *tape_scale(tape *t, tape_node *a, double c)
{
    tape_node *y = tape_make(t, a->rows, a->cols, a, NULL, back_scale);
    y->constant = c;
    for (size_t i = 0; i < elements(y); i++) {
        arb_set(y->v + i, a->v + i);
        times_constant(t, c, y->v + i);
    }
    return y;
}

/* The largest radius in row i. */
static double row_radius(const tape_node *a, size_t i)
{
    double r = 0;
    for (size_t j = 0; j < a->cols; j++) r = fmax(r, mag_get_d(arb_radref(a->v + i * a->cols + j)));
    return r;
}

/* The gradient of "minus the row's maximum" vanishes whether or not the maximum is differentiated; but who does
 * differentiate it adds the rounding errors of the row's gradients to every element that may be the maximum. */
static void blame_maximum(tape *t, tape_node *y, size_t i)
{
    tape_tally s = {0, 0, 0, true};
    double radius = 0;
    for (size_t j = 0; j < y->cols; j++) {
        tally_add(&s, y->g + i * y->cols + j);
        radius += mag_get_d(arb_radref(y->g + i * y->cols + j));
    }
    if (s.terms == 0 || exact_in(&t->profile->storage, &s)) return;
    const double n = (double)s.terms;
    radius += ((n + 1) * unit(&t->profile->arithmetic) + 3 * t->w) * s.magnitude + 2 * n * t->floor;
    const double r = row_radius(y, i);
    for (size_t j = 0; j < y->cols; j++) {
        const size_t e = i * y->cols + j;
        if (!(tape_middle(y, e) + mag_get_d(arb_radref(y->v + e)) + r < 0)) tape_grow(y->g + e, radius);
    }
}

static void back_offset(tape *t, tape_node *y)
{
    for (size_t i = 0; t->profile && y->kind && i < y->rows; i++) blame_maximum(t, y, i);
    for (size_t i = 0; i < elements(y); i++) tape_give(t, y->a, i, y->g + i);
}

tape_node *tape_offset(tape *t, tape_node *a, const double *c, bool maximum)
{
    tape_node *y = tape_make(t, a->rows, a->cols, a, NULL, back_offset);
    y->kind = maximum;
    arb_t m;
    arb_init(m);
    for (size_t i = 0; i < y->rows; i++) {
        const double r = t->profile ? row_radius(a, i) : 0;
        arb_set_d(m, c[i]);
        for (size_t j = 0; j < y->cols; j++) {
            arb_ptr v = y->v + i * y->cols + j;
            arb_add(v, a->v + i * y->cols + j, m, t->prec);
            tape_settle(t, v);
            tape_grow(v, 2 * t->w * r); /* the candidate subtracts a maximum of its own */
        }
    }
    arb_clear(m);
    return y;
}

/* --- two operands --- */

enum { ADD, SUB, MUL, DIV };

/* The element of x that element (i, j) of the result is made from. */
static size_t source(const tape_node *x, size_t i, size_t j)
{
    return (x->rows == 1 ? 0 : i * x->cols) + (x->cols == 1 ? 0 : j);
}

static bool power_of_two(arb_srcptr v) { return exact(v) && arf_bits(arb_midref(v)) == 1; }

static void divide(const tape *t, arb_t q, arb_srcptr a, arb_srcptr b)
{
    const bool plain = power_of_two(b);
    arb_div(q, a, b, t->prec);
    if (!plain) loosen(t, 1, q); /* a/b, or a times a rounded 1/b */
    tape_settle(t, q);
}

static void operate(const tape *t, int kind, arb_t y, arb_srcptr a, arb_srcptr b)
{
    if (kind == DIV) {
        divide(t, y, a, b);
        return;
    }
    if (kind == ADD) arb_add(y, a, b, t->prec);
    if (kind == SUB) arb_sub(y, a, b, t->prec);
    if (kind == MUL) arb_mul(y, a, b, t->prec);
    tape_settle(t, y);
}

/* What element e of y sends to the operand x. */
static void term_of(const tape *t, const tape_node *y, size_t e, size_t i, size_t j, bool second, arb_t c)
{
    arb_srcptr b = y->b->v + source(y->b, i, j);
    arb_set(c, y->g + e);
    if (y->kind == SUB && second) arb_neg(c, c);
    if (y->kind == MUL) {
        arb_mul(c, c, second ? y->a->v + source(y->a, i, j) : b, t->prec);
        tape_settle(t, c);
    }
    if (y->kind == DIV && second) {
        arb_mul(c, c, y->v + e, t->prec);
        arb_neg(c, c);
        loosen(t, 2, c);
    }
    if (y->kind == DIV) divide(t, c, c, b);
}

static void back_operand(tape *t, tape_node *y, tape_node *x, bool second)
{
    if (!x->wants) return;
    const bool whole = elements(x) == elements(y);
    arb_ptr sum = whole ? NULL : _arb_vec_init((slong)elements(x));
    tape_tally *tally = whole ? NULL : get(elements(x), sizeof *tally);
    arb_t c;
    arb_init(c);
    for (size_t i = 0; i < y->rows; i++)
        for (size_t j = 0; j < y->cols; j++) {
            term_of(t, y, i * y->cols + j, i, j, second, c);
            if (whole)
                tape_give(t, x, source(x, i, j), c);
            else
                add_term(t, sum, tally, source(x, i, j), c);
        }
    for (size_t i = 0; !whole && i < elements(x); i++) {
        const size_t terms = tally[i].terms > y->n ? tally[i].terms : y->n;
        round_sum(t, &tally[i], terms ? terms - 1 : 0, true, sum + i);
        tape_give(t, x, i, sum + i);
    }
    arb_clear(c);
    if (!whole) _arb_vec_clear(sum, (slong)elements(x));
    free(tally);
}

static void back_operation(tape *t, tape_node *y)
{
    back_operand(t, y, y->a, false);
    back_operand(t, y, y->b, true);
}

static tape_node *operation(tape *t, int kind, tape_node *a, tape_node *b)
{
    /* an empty dimension wins over one that is repeated */
    const size_t rows = a->rows == 1 ? b->rows : a->rows, cols = a->cols == 1 ? b->cols : a->cols;
    tape_node *y = tape_make(t, rows, cols, a, b, back_operation);
    y->kind = kind;
    y->n = t->together;
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++)
            operate(t, kind, y->v + i * cols + j, a->v + source(a, i, j), b->v + source(b, i, j));
    return y;
}

tape_node *tape_add(tape *t, tape_node *a, tape_node *b) { return operation(t, ADD, a, b); }

tape_node *tape_sub(tape *t, tape_node *a, tape_node *b) { return operation(t, SUB, a, b); }

tape_node *tape_mul(tape *t, tape_node *a, tape_node *b) { return operation(t, MUL, a, b); }

tape_node *tape_div(tape *t, tape_node *a, tape_node *b) { return operation(t, DIV, a, b); }

/* --- the norm of a row --- */

/* c = x / n, a component of a unit vector */
static void component(const tape *t, arb_t c, arb_srcptr x, arb_srcptr n)
{
    arb_div(c, x, n, t->prec);
    if (tape_upper_of(c) <= 1) return;
    mag_t one;
    mag_init(one);
    mag_one(one);
    if (!arb_is_finite(c) || mag_cmp(arb_radref(c), one) > 0) {
        arb_zero(c);
        arb_add_error_mag(c, one);
    }
    mag_clear(one);
}

static void back_norm(tape *t, tape_node *y)
{
    tape_node *a = y->a;
    arb_t c;
    arb_init(c);
    for (size_t i = 0; i < a->rows; i++)
        for (size_t j = 0; j < a->cols && !arb_is_zero(y->v + i); j++) {
            component(t, c, a->v + i * a->cols + j, y->v + i);
            arb_mul(c, c, y->g + i, t->prec);
            loosen(t, 3, c); /* g (x / n), x (g / n), or g (1 / 2n) 2x */
            tape_settle(t, c);
            tape_give(t, a, i * a->cols + j, c);
        }
    arb_clear(c);
}

/* n squares whose sum is y^2: each may underflow, and their sum overflow, in the arithmetic. */
static void round_squares(const twin_format *f, size_t n, arb_t y)
{
    const double most = tape_upper_of(y), lost = (double)n * f->underflow;
    if (!(most * most <= f->largest) && n > 1)
        mag_inf(arb_radref(y));
    else if (lost > 0x1p-60 * most * most)
        tape_grow(y, sqrt(lost)); /* at most, whatever is left */
}

tape_node *tape_norm(tape *t, tape_node *a)
{
    tape_node *y = tape_make(t, a->rows, 1, a, NULL, back_norm);
    for (size_t i = 0; i < a->rows; i++) {
        arb_srcptr x = a->v + i * a->cols;
        arb_dot(y->v + i, NULL, 0, x, 1, x, 1, (slong)a->cols, t->prec);
        arb_sqrtpos(y->v + i, y->v + i, t->prec);
        if (!t->profile || arb_is_zero(y->v + i)) continue;
        /* squares, their sum, its store: half of their relative error; then the root */
        const double nu = (double)(a->cols + 1) * unit(&t->profile->arithmetic);
        tape_grow(y->v + i, (0.5 * (nu / (1 - nu) + 2 * t->w) + 2 * t->w) * (1 + 8 * t->w) * tape_upper_of(y->v + i));
        round_to(&t->profile->storage, true, y->v + i);
        round_squares(&t->profile->arithmetic, a->cols, y->v + i);
    }
    return y;
}

/* --- the largest of a row --- */

static size_t middle_of_row(const tape_node *a, size_t i)
{
    size_t best = i * a->cols;
    for (size_t e = best + 1; e < (i + 1) * a->cols; e++)
        if (arf_cmp(arb_midref(a->v + e), arb_midref(a->v + best)) > 0) best = e;
    return best;
}

static void back_max(tape *t, tape_node *y)
{
    tape_node *a = y->a;
    arb_t c;
    arb_init(c);
    for (size_t i = 0; i < y->rows; i++) {
        const size_t best = middle_of_row(a, i);
        size_t open = 0;
        for (size_t e = i * a->cols; t->profile && e < (i + 1) * a->cols; e++) open += !arb_lt(a->v + e, y->v + i);
        for (size_t e = i * a->cols; e < (i + 1) * a->cols; e++) {
            if (open > 1 ? arb_lt(a->v + e, y->v + i) : e != best) continue;
            arb_set(c, y->g + i);
            if (open > 1) { /* times [0, 1] */
                arb_mul_2exp_si(c, c, -1);
                tape_grow(c, 0.5 * tape_upper_of(y->g + i));
            }
            tape_give(t, a, e, c);
        }
    }
    arb_clear(c);
}

tape_node *tape_max(tape *t, tape_node *a)
{
    tape_node *y = tape_make(t, a->rows, 1, a, NULL, back_max);
    for (size_t i = 0; i < a->rows; i++) {
        arb_set(y->v + i, a->v + middle_of_row(a, i));
        for (size_t j = 0; j < a->cols; j++) {
            arb_srcptr x = a->v + i * a->cols + j;
            if (!arb_le(x, y->v + i)) arb_max(y->v + i, y->v + i, x, t->prec);
        }
    }
    return y;
}

/* --- squared distances of rows --- */

/* How large a candidate's numbers are when it expands a distance: |row| and |element| of the centred rows, or of the rows
 * as they are up to four times the spread. */
typedef struct {
    double *row, *element;
} extent;

static double truncated(double raw, double centred, double most) { return fmax(centred, fmin(raw, most)); }

static double row_length(const double *x, size_t p)
{
    double s = 0;
    for (size_t k = 0; k < p; k++) s += x[k] * x[k];
    return sqrt(s);
}

static extent extent_of(const tape_node *a)
{
    const size_t n = a->rows, p = a->cols;
    extent m = {get(n, sizeof *m.row), get(n * p, sizeof *m.element)};
    double *centred = get(n * p, sizeof *centred), *raw = get(n * p, sizeof *raw), most = 0;
    for (size_t k = 0; k < p; k++) {
        double mean = 0;
        for (size_t i = 0; i < n; i++) mean += tape_middle(a, i * p + k) / (double)n;
        for (size_t i = 0; i < n; i++) {
            const size_t e = i * p + k;
            raw[e] = tape_upper_of(a->v + e);
            centred[e] = fabs(tape_middle(a, e) - mean) + mag_get_d(arb_radref(a->v + e));
        }
    }
    for (size_t i = 0; i < n; i++) most = fmax(most, 4 * row_length(centred + i * p, p));
    for (size_t i = 0; i < n; i++)
        m.row[i] = truncated(row_length(raw + i * p, p), row_length(centred + i * p, p), most);
    for (size_t e = 0; e < n * p; e++) m.element[e] = truncated(raw[e], centred[e], most);
    free(centred);
    free(raw);
    return m;
}

static void extent_free(extent *m)
{
    free(m->row);
    free(m->element);
}

static void distance(const tape *t, const tape_node *a, size_t i, size_t j, arb_t s)
{
    arb_t d;
    arb_init(d);
    arb_zero(s);
    for (size_t k = 0; k < a->cols && i != j; k++) {
        arb_sub(d, a->v + i * a->cols + k, a->v + j * a->cols + k, t->prec);
        arb_addmul(s, d, d, t->prec);
    }
    arb_clear(d);
}

/* Differences, squares and their sum, or a root and its square, each stored; or the expansion, stored at its end. */
static void round_distance(const tape *t, size_t p, double reach, arb_t s)
{
    const twin_format *f = &t->profile->arithmetic;
    const double d = tape_upper_of(s), pu = (double)(p + 4) * unit(f);
    if (reach == 0 && d == 0) return;
    tape_grow(s, (4 * t->w + pu / (1 - pu)) * d + (t->coarse ? 1 : 2) * pu / (1 - pu) * reach * reach);
    tape_grow(s, (double)(p + 4) * (f->underflow + t->profile->storage.underflow));
    if (!(tape_upper_of(s) <= fmin(f->largest, t->profile->storage.largest))) mag_inf(arb_radref(s));
}

/* dx_i = 2 sum_j (g_ij + g_ji) (x_i - x_j) */
static void back_distances_element(tape *t, const tape_node *y, const extent *m, size_t i, size_t k)
{
    const tape_node *a = y->a;
    const size_t n = a->rows, p = a->cols;
    double size = 0, reach = 0;
    arb_t sum, g, d;
    arb_init(sum);
    arb_init(g);
    arb_init(d);
    for (size_t j = 0; j < n; j++) {
        if (j == i) continue;
        arb_add(g, y->g + i * n + j, y->g + j * n + i, t->prec);
        arb_sub(d, a->v + i * p + k, a->v + j * p + k, t->prec);
        arb_addmul(sum, g, d, t->prec);
        if (!t->profile) continue;
        const double weight = tape_upper_of(y->g + i * n + j) + tape_upper_of(y->g + j * n + i);
        size += tape_upper_of(d) * weight;
        reach += (m->element[i * p + k] + m->element[j * p + k]) * weight;
    }
    arb_mul_2exp_si(sum, sum, 1);
    if (t->profile && size + reach > 0) {
        const double nu = (double)(2 * n + 6) * unit(&t->profile->arithmetic), most = size + reach;
        if (!(nu < 0.5 && 2 * most <= t->profile->arithmetic.largest))
            mag_inf(arb_radref(sum));
        else
            tape_grow(sum,
                      2 * most * nu / (1 - nu) + 8 * t->w * size + 2 * (double)n * t->profile->arithmetic.underflow);
        tape_settle(t, sum);
    }
    tape_give(t, y->a, i * p + k, sum);
    arb_clear(sum);
    arb_clear(g);
    arb_clear(d);
}

static void back_distances(tape *t, tape_node *y)
{
    extent m = t->profile ? extent_of(y->a) : (extent){NULL, NULL};
    for (size_t i = 0; i < y->a->rows && y->a->wants; i++)
        for (size_t k = 0; k < y->a->cols; k++) back_distances_element(t, y, &m, i, k);
    extent_free(&m);
}

tape_node *tape_distances(tape *t, tape_node *a)
{
    const size_t n = a->rows;
    tape_node *y = tape_make(t, n, n, a, NULL, back_distances);
    extent m = t->profile ? extent_of(a) : (extent){NULL, NULL};
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            distance(t, a, i, j, y->v + i * n + j);
            if (t->profile) round_distance(t, a->cols, m.row[i] + m.row[j], y->v + i * n + j);
        }
    extent_free(&m);
    return y;
}

/* --- order statistics --- */

typedef struct {
    arf_struct end;
    size_t element;
} ranked;

static int ascending(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    const int c = arf_cmp(&x->end, &y->end);
    return c != 0 ? c : (x->element > y->element) - (x->element < y->element);
}

/* The k-th of the elements' lower ends (-1), centres (0) or upper ends (1). */
static size_t rank(const tape *t, const tape_node *a, size_t k, int side, arf_t end)
{
    const size_t n = elements(a);
    ranked *list = get(n, sizeof *list);
    for (size_t e = 0; e < n; e++) {
        arf_init(&list[e].end);
        list[e].element = e;
        if (side < 0) arb_get_lbound_arf(&list[e].end, a->v + e, t->prec);
        if (side == 0) arf_set(&list[e].end, arb_midref(a->v + e));
        if (side > 0) arb_get_ubound_arf(&list[e].end, a->v + e, t->prec);
    }
    qsort(list, n, sizeof *list, ascending);
    arf_set(end, &list[k].end);
    const size_t found = list[k].element;
    for (size_t e = 0; e < n; e++) arf_clear(&list[e].end);
    free(list);
    return found;
}

static void back_kth(tape *t, tape_node *y)
{
    tape_node *a = y->a;
    size_t open = 0;
    arb_t c;
    arb_init(c);
    for (size_t e = 0; t->profile && e < elements(a); e++) open += arb_overlaps(a->v + e, y->v) != 0;
    for (size_t e = 0; e < elements(a); e++) {
        if (open > 1 ? !arb_overlaps(a->v + e, y->v) : e != y->n) continue;
        arb_set(c, y->g);
        if (open > 1) { /* times [0, 1] */
            arb_mul_2exp_si(c, c, -1);
            tape_grow(c, 0.5 * tape_upper_of(y->g));
        }
        tape_give(t, a, e, c);
    }
    arb_clear(c);
}

tape_node *tape_kth(tape *t, tape_node *a, size_t k)
{
    tape_node *y = tape_make(t, 1, 1, a, NULL, back_kth);
    arf_t low, high;
    arf_init(low);
    arf_init(high);
    y->n = rank(t, a, k, 0, low);
    rank(t, a, k, -1, low);
    rank(t, a, k, 1, high);
    if (arf_is_finite(low) && arf_is_finite(high))
        arb_set_interval_arf(y->v, low, high, t->prec);
    else
        mag_inf(arb_radref(y->v));
    arf_clear(low);
    arf_clear(high);
    return y;
}

/* --- fairness and mistakes --- */

static void back_either(tape *t, tape_node *y)
{
    arb_t c;
    arb_init(c);
    for (size_t i = 0; i < elements(y); i++) {
        arb_set(c, y->g + i);
        tape_give(t, y->a, i, c);
        tape_give(t, y->b, i, c);
    }
    arb_clear(c);
}

tape_node *tape_either(tape *t, tape_node *a, tape_node *b)
{
    tape_node *y = tape_make(t, a->rows, a->cols, a, b, back_either);
    for (size_t i = 0; i < elements(y); i++) arb_union(y->v + i, a->v + i, b->v + i, t->prec);
    return y;
}

/* The centre of a wide ball is off by as much as the square of its relative radius: that counts as well. */
static void back_aside(tape *t, tape_node *y)
{
    (void)t;
    tape_node *a = y->a->base;
    if (!y->a->wants) return;
    if (!a->beside) a->beside = get(elements(a), sizeof *a->beside);
    for (size_t i = 0; i < elements(y); i++) {
        const double r = mag_get_d(arb_radref(y->g + i)), m = fabs(arf_get_d(arb_midref(y->g + i), ARF_RND_NEAR));
        double *most = &a->beside[y->a->offset + i];
        *most = fmax(*most, m > r ? r * (1 + r / m) : 2 * r);
    }
}

tape_node *tape_aside(tape *t, tape_node *a)
{
    tape_node *y = tape_make(t, a->rows, a->cols, a, NULL, back_aside);
    for (size_t i = 0; i < elements(y); i++) arb_set(y->v + i, a->v + i);
    return y;
}

/* y->array: centre and radius of the factor */
static void back_open(tape *t, tape_node *y)
{
    arb_t c, f;
    arb_init(c);
    arb_init(f);
    arb_set_d(f, y->array[0]);
    tape_grow(f, y->array[1]);
    for (size_t i = 0; i < elements(y); i++) {
        arb_mul(c, y->g + i, f, t->prec);
        tape_give(t, y->a, i, c);
    }
    arb_clear(c);
    arb_clear(f);
}

tape_node *tape_open(tape *t, tape_node *a)
{
    tape_node *y = tape_make(t, a->rows, a->cols, a, NULL, back_open);
    const double one[] = {1, 0};
    y->array = copy_array(one, 2);
    for (size_t i = 0; i < elements(y); i++) arb_set(y->v + i, a->v + i);
    return y;
}

/* g = s f with an exact s: the centre of g and 1 +- its relative radius; or the radius, where that is larger, and what is left
 * of the centre, +- 1. */
static void back_close(tape *t, tape_node *y)
{
    const double r = mag_get_d(arb_radref(y->g)), m = fabs(arf_get_d(arb_midref(y->g), ARF_RND_NEAR));
    double factor[2] = {1, 0};
    arb_t s;
    arb_init(s);
    arb_get_mid_arb(s, y->g);
    if (!arb_is_finite(y->g) || !isfinite(m)) {
        arb_one(s);
        factor[1] = INFINITY;
    } else if (r <= m && m > 0) {
        factor[1] = r / m * (1 + 0x1p-40);
    } else if (r > 0) {
        factor[0] = arf_get_d(arb_midref(y->g), ARF_RND_NEAR) / r;
        factor[1] = 1 + 0x1p-40;
        arb_set_d(s, r);
    }
    for (size_t i = 0; i < y->parts; i++) memcpy(y->part[i]->array, factor, sizeof factor);
    tape_give(t, y->a, 0, s);
    arb_clear(s);
}

tape_node *tape_close(tape *t, tape_node *a, size_t n, tape_node *const *opened)
{
    tape_node *y = tape_make(t, 1, 1, a, NULL, back_close);
    y->parts = n;
    y->part = get(n, sizeof *y->part);
    memcpy(y->part, opened, n * sizeof *y->part);
    arb_set(y->v, a->v);
    return y;
}

static void back_slack(tape *t, tape_node *y)
{
    for (size_t i = 0; i < elements(y); i++) {
        if (y->array) tape_grow(y->g + i, y->array[i] * tape_upper_of(y->g + i));
        tape_give(t, y->a, i, y->g + i);
    }
}

tape_node *tape_slack(tape *t, tape_node *a, const double *forward, const double *reverse)
{
    tape_node *y = tape_make(t, a->rows, a->cols, a, NULL, back_slack);
    y->array = copy_array(reverse, elements(y));
    for (size_t i = 0; i < elements(y); i++) {
        arb_set(y->v + i, a->v + i);
        if (forward) tape_grow(y->v + i, forward[i]);
    }
    return y;
}

static void back_scale_gradient(tape *t, tape_node *y)
{
    arb_t c;
    arb_init(c);
    for (size_t i = 0; i < elements(y); i++) {
        arb_set_d(c, y->constant);
        arb_mul(c, c, y->g + i, t->prec);
        tape_give(t, y->a, i, c);
    }
    arb_clear(c);
}

tape_node *tape_scale_gradient(tape *t, tape_node *a, double c)
{
    tape_node *y = tape_make(t, a->rows, a->cols, a, NULL, back_scale_gradient);
    y->constant = c;
    for (size_t i = 0; i < elements(y); i++) arb_set(y->v + i, a->v + i);
    return y;
}
