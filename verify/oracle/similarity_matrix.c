/* CKA of every pair of the matrices of a dump (see similarity_matrix.h). */
#include "similarity_matrix.h"

#include <gsl/gsl_rng.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512, SHIFT_ROWS = 1024 }; /* rows at a time; rows whose mean is taken off all */

/* What one computation needs at every step. */
typedef struct {
    dump *d;
    const similarity_request *q;
    similarity_result *r;
    size_t R, n, pairs;
    bool *varies; /* [R]  is some row unlike the first? */
    double **first; /* [R]  the first row */
    double *hsic; /* [pairs]  of the pairs i <= j */
    char *err;
    size_t errlen;
} task;

static size_t pair_of(const task *t, size_t i, size_t j) { return i * t->R - i * (i + 1) / 2 + j; } /* i <= j */

static int fail_memory(const task *t) { return tensor_fail(t->err, t->errlen, "out of memory"); }

static double *room(size_t n) { return calloc(n ? n : 1, sizeof(double)); }

static void show(const task *t, const char *what, size_t done, size_t all)
{
    if (t->q->progress) t->q->progress(what, done, all);
}

static int fail_of(const task *t, size_t i, const char *what)
{
    char q[TENSOR_QUOTED];
    return tensor_fail(t->err, t->errlen, "%s: tensor %s: %s", t->d->matrix[i].path,
                       tensor_quote(q, t->d->matrix[i].label), what);
}

static char size_unit(double *bytes)
{
    static const char unit[] = " KMGTP";
    size_t u = 0;
    for (; *bytes >= 1024 && unit[u + 1]; u++) *bytes /= 1024;
    return unit[u];
}

/* What does not fit, with its size and the limit. */
static int fail_limit(const task *t, const char *what, double bytes, const char *advice)
{
    double limit = (double)t->q->memory;
    const char u = size_unit(&bytes), v = size_unit(&limit);
    return tensor_fail(t->err, t->errlen, "%s: %s: %.1f %ciB, --memory allows %.1f %ciB: raise it%s",
                       t->d->matrix[0].path, what, bytes, u, limit, v, advice);
}

/* Reads rows, and sees whether they vary. */
static int read_rows(task *t, size_t i, size_t row, size_t rows, double *x)
{
    const size_t p = t->d->matrix[i].p;
    if (dump_read(t->d, i, row, rows, x, t->err, t->errlen) != 0) return -1;
    if (row == 0 && rows > 0) memcpy(t->first[i], x, p * sizeof *x);
    for (size_t k = 0; k < rows && !t->varies[i]; k++)
        t->varies[i] = memcmp(x + k * p, t->first[i], p * sizeof *x) != 0;
    return 0;
}

static int status_of(const task *t, size_t i, smoe_status s)
{
    if (s == SMOE_OK) return 0;
    if (!t->varies[i]) return fail_of(t, i, "all samples have the same features (zero variance): CKA is not defined");
    if (s == SMOE_EOVRFLW) return fail_of(t, i, "values too large: HSIC overflows binary64");
    if (s == SMOE_EDOM && t->q->how.kernel == SMOE_KERNEL_RBF)
        return fail_of(t, i, "no bandwidth: the median of the distances is 0 (at least half of the samples are equal)");
    return fail_of(t, i, smoe_strerror(s));
}

/* --- Gram matrices ------------------------------------------------------------------------------------------------ */

/* The Gram matrix of x [n,p], centred as the estimator has it, in A [n,n]; scratch [n,n] + [n,p] + [2n]. */
static smoe_status centred_gram(const smoe_similarity *how, bool biased, size_t n, size_t p, const double *x,
                                double *scratch, double *A)
{
    double *K = scratch, *xc = scratch + n * n, *sums = xc + n * p, variance = 0;
    smoe_status s;
    if (how->kernel == SMOE_KERNEL_LINEAR) {
        s = smoe_centre_features(n, p, x, xc);
        if (s == SMOE_OK) s = smoe_gram_linear(n, p, xc, K); /* (K.1) */
    } else {
        s = smoe_squared_distances(n, p, x, A); /* (K.2) */
        if (s == SMOE_OK)
            s = how->bandwidth == SMOE_BANDWIDTH_ABSOLUTE ? smoe_bandwidth_absolute(how->sigma, &variance)
                                                          : smoe_bandwidth_median(how, n, A, &variance); /* (K.3) */
        if (s == SMOE_OK)
            s = (biased ? smoe_gram_rbf_less_one : smoe_gram_rbf_to_u_centre)(n, A, variance, K); /* (K.4) */
    }
    if (s != SMOE_OK) return s;
    return biased ? smoe_centre(n, K, A) : smoe_u_centre(n, K, sums, A); /* (K.5), (K.7) */
}

static size_t scratch_size(size_t n, size_t p) { return n * n + n * p + 2 * n; }

static size_t widest(const dump *d)
{
    size_t p = 0;
    for (size_t i = 0; i < d->matrices; i++)
        if (d->matrix[i].p > p) p = d->matrix[i].p;
    return p;
}

/* One matrix of the dump, whole, as centred_gram() has it. */
static int whole_gram(task *t, size_t i, double *x, double *scratch, double *A)
{
    const bool biased = t->q->how.estimator == SMOE_HSIC_BIASED;
    if (read_rows(t, i, 0, t->n, x) != 0) return -1;
    return status_of(t, i, centred_gram(&t->q->how, biased, t->n, t->d->matrix[i].p, x, scratch, A));
}

/* Groups of Gram matrices that fit are held; the ones after them come by one at a time. */
static int hsic_of_groups(task *t, size_t hold, double *x, double *scratch, double *A, double *passing)
{
    const size_t size = t->n * t->n;
    for (size_t begin = 0, end; begin < t->R; begin = end) {
        end = t->R - begin < hold ? t->R : begin + hold;
        for (size_t i = begin; i < t->R; i++) {
            show(t, "Gram matrix", i, t->R);
            double *mine = i < end ? A + (i - begin) * size : passing;
            if (whole_gram(t, i, x, scratch, mine) != 0) return -1;
            for (size_t g = begin; g < end && g <= i; g++)
                t->hsic[pair_of(t, g, i)] = smoe_dot(size, A + (g - begin) * size, mine); /* (K.6), (K.8) */
        }
        t->r->passes++;
    }
    return 0;
}

static int by_gram(task *t)
{
    const size_t p = widest(t->d);
    const double square = (double)t->n * (double)t->n * sizeof(double), limit = (double)t->q->memory;
    const double rest = square + (2.0 * (double)p + 2) * (double)t->n * sizeof(double);
    const double fit = (limit - rest) / square; /* matrices beside scratch and features */
    char what[160];
    snprintf(what, sizeof what, "%zu samples need three Gram matrices of their square at least", t->n);
    if (!(fit >= (t->R > 1 ? 2 : 1)))
        return fail_limit(t, what, rest + 2 * square,
                          t->q->how.kernel == SMOE_KERNEL_LINEAR ? ", or use --route features"
                                                                 : ", or use --estimator minibatch");
    const size_t hold = fit >= (double)t->R ? t->R : (size_t)fit - 1;
    double *x = room(t->n * p), *scratch = room(scratch_size(t->n, p)), *A = room(hold * t->n * t->n),
           *passing = hold < t->R ? room(t->n * t->n) : NULL;
    int result = x && scratch && A && (passing || hold == t->R) ? hsic_of_groups(t, hold, x, scratch, A, passing)
                                                                : fail_memory(t);
    free(x);
    free(scratch);
    free(A);
    free(passing);
    return result;
}

/* --- moments ------------------------------------------------------------------------------------------------------ */

/* The sums of (K.10) over rows less their shift; those of one matrix stand once, not once a pair. */
typedef struct {
    size_t rows; /* of a block */
    double **shift; /* [R] of [p] */
    double **x; /* [R] of [rows,p]  the block, shifted */
    double *norms; /* [rows,R+1]  |x|^2 of each matrix, and 1 */
    double **by_norm; /* [R] of [p,R+1]  sums x |y|^2 over all y, and sum x */
    double *norm_by_norm; /* [R+1,R+1]  sums |x|^2 |y|^2, and sums |x|^2 */
    double **c; /* [pairs] of [p,q], those of this pass: sum x y^T */
} sums;

/* The mean of the first rows, as an offset from the first. */
static int find_shift(task *t, sums *s, size_t i)
{
    const size_t p = t->d->matrix[i].p, rows = t->n < SHIFT_ROWS ? t->n : SHIFT_ROWS;
    double *x = room(rows * p);
    if (!x) return fail_memory(t);
    int result = read_rows(t, i, 0, rows, x);
    for (size_t k = 0; k < p && result == 0; k++) {
        double sum = 0;
        for (size_t row = 0; row < rows; row++) sum += x[row * p + k] - x[k];
        s->shift[i][k] = x[k] + sum / (double)rows;
    }
    free(x);
    return result;
}

/* Rows of matrix i, shifted, and their norms. */
static int load_block(task *t, sums *s, size_t i, size_t row, size_t rows)
{
    const size_t p = t->d->matrix[i].p, W = t->R + 1;
    double *x = s->x[i];
    if (read_rows(t, i, row, rows, x) != 0) return -1;
    for (size_t a = 0; a < rows; a++) {
        for (size_t k = 0; k < p; k++) x[a * p + k] -= s->shift[i][k];
        s->norms[a * W + i] = smoe_dot(p, x + a * p, x + a * p);
        s->norms[a * W + t->R] = 1;
    }
    return 0;
}

static void add_block(const task *t, sums *s, size_t rows, bool first_pass, size_t begin, size_t end)
{
    const size_t R = t->R, W = R + 1;
    const dump_matrix *m = t->d->matrix;
    if (first_pass) {
        for (size_t i = 0; i < R; i++)
            smoe_matmul_tn_acc(m[i].p, W, rows, s->x[i], s->norms, s->by_norm[i]); /* (K.10) */
        smoe_matmul_tn_acc(W, W, rows, s->norms, s->norms, s->norm_by_norm); /* (K.10) */
    }
    for (size_t i = 0, pair = 0; i < R; i++)
        for (size_t j = i; j < R; j++, pair++)
            if (pair >= begin && pair < end)
                smoe_matmul_tn_acc(m[i].p, m[j].p, rows, s->x[i], s->x[j], s->c[pair - begin]); /* (K.10) */
}

/* Column `of` of a [p,W] array. */
static void column(size_t p, size_t W, const double *from, size_t of, double *to)
{
    for (size_t k = 0; k < p; k++) to[k] = from[k * W + of];
}

/* (K.11) from the sums; work [3p + 2q]. */
static smoe_status hsic_of_pair(const task *t, const sums *s, size_t i, size_t j, double *c, double *work, double *hsic)
{
    const size_t p = t->d->matrix[i].p, q = t->d->matrix[j].p, W = t->R + 1, one = t->R;
    smoe_moments m = {t->n,
                      p,
                      q,
                      work,
                      work + p,
                      c,
                      work + p + q,
                      work + 2 * p + q,
                      s->norm_by_norm[i * W + one],
                      s->norm_by_norm[j * W + one],
                      s->norm_by_norm[i * W + j]};
    column(p, W, s->by_norm[i], one, m.sx);
    column(q, W, s->by_norm[j], one, m.sy);
    column(p, W, s->by_norm[i], j, m.xyy);
    column(q, W, s->by_norm[j], i, m.yxx);
    return smoe_hsic_moments(&m, t->q->how.estimator, SMOE_DIVIDE_N_LESS_1, work + 2 * (p + q), hsic);
}

static int finish_pairs(task *t, const sums *s, size_t begin, size_t end)
{
    const size_t p = widest(t->d);
    double *work = room(5 * p);
    if (!work) return fail_memory(t);
    int result = 0;
    for (size_t i = 0, pair = 0; i < t->R; i++)
        for (size_t j = i; j < t->R; j++, pair++)
            if (pair >= begin && pair < end && result == 0)
                result = status_of(t, i, hsic_of_pair(t, s, i, j, s->c[pair - begin], work, &t->hsic[pair]));
    free(work);
    return result;
}

/* One pass over the files for the pairs begin .. end-1, whose products s->c has room for. */
static int one_pass(task *t, sums *s, size_t begin, size_t end)
{
    for (size_t row = 0; row < t->n; row += s->rows) {
        const size_t rows = t->n - row < s->rows ? t->n - row : s->rows;
        show(t, "rows", row, t->n);
        for (size_t i = 0; i < t->R; i++)
            if (load_block(t, s, i, row, rows) != 0) return -1;
        add_block(t, s, rows, begin == 0, begin, end);
    }
    t->r->passes++;
    return finish_pairs(t, s, begin, end);
}

/* Makes room for the products of pairs from `begin` on, while they fit; where they end. */
static size_t take_pairs(const task *t, sums *s, size_t begin, double left)
{
    size_t end = begin;
    for (size_t i = 0, pair = 0; i < t->R; i++)
        for (size_t j = i; j < t->R; j++, pair++) {
            if (pair != end) continue;
            const size_t count = t->d->matrix[i].p * t->d->matrix[j].p;
            left -= (double)count * sizeof(double);
            if (left < 0) return end;
            s->c[pair - begin] = room(count);
            if (!s->c[pair - begin]) return end;
            end++;
        }
    return end;
}

static int all_passes(task *t, sums *s, double left)
{
    int result = 0;
    for (size_t i = 0; i < t->R && result == 0; i++) result = find_shift(t, s, i);
    for (size_t begin = 0, end; begin < t->pairs && result == 0; begin = end) {
        end = take_pairs(t, s, begin, left);
        result = end == begin ? fail_memory(t) : one_pass(t, s, begin, end);
        for (size_t k = 0; k < end - begin; k++) free(s->c[k]);
    }
    return result;
}

static bool make_sums(const task *t, sums *s)
{
    const size_t R = t->R, W = R + 1;
    s->shift = calloc(R, sizeof *s->shift);
    s->x = calloc(R, sizeof *s->x);
    s->by_norm = calloc(R, sizeof *s->by_norm);
    s->c = calloc(t->pairs, sizeof *s->c);
    s->norms = room(s->rows * W);
    s->norm_by_norm = room(W * W);
    bool fine = s->shift && s->x && s->by_norm && s->c && s->norms && s->norm_by_norm;
    for (size_t i = 0; i < R && fine; i++) {
        const size_t p = t->d->matrix[i].p;
        s->shift[i] = room(p);
        s->x[i] = room(s->rows * p);
        s->by_norm[i] = room(p * W);
        fine = s->shift[i] && s->x[i] && s->by_norm[i];
    }
    return fine;
}

static void free_sums(const task *t, sums *s)
{
    for (size_t i = 0; i < t->R; i++) {
        if (s->shift) free(s->shift[i]);
        if (s->x) free(s->x[i]);
        if (s->by_norm) free(s->by_norm[i]);
    }
    free(s->shift);
    free(s->x);
    free(s->by_norm);
    free(s->c);
    free(s->norms);
    free(s->norm_by_norm);
}

static int by_features(task *t)
{
    const double R = (double)t->R, p = (double)widest(t->d), b = sizeof(double);
    double features = 0;
    for (size_t i = 0; i < t->R; i++) features += (double)t->d->matrix[i].p;
    sums s = {.rows = t->n < BLOCK ? t->n : BLOCK};
    const double fixed = b * (features * ((double)s.rows + R + 2) + (R + 1) * ((double)s.rows + R + 1) +
                              (t->n < SHIFT_ROWS ? (double)t->n : SHIFT_ROWS) * p);
    const double left = (double)t->q->memory - fixed;
    if (left < p * p * b) return fail_limit(t, "the moments of one pair and a block of rows", fixed + p * p * b, "");
    int result = make_sums(t, &s) ? all_passes(t, &s, left) : fail_memory(t);
    free_sums(t, &s);
    return result;
}

/* --- batches ------------------------------------------------------------------------------------------------------ */

/* HSIC_1 of every pair on one batch, in the R x R of `square`. */
static int hsic_of_batch(task *t, size_t b, double *x, double *scratch, double *A, double *square)
{
    const size_t m = t->r->batch, R = t->R;
    for (size_t i = 0; i < R; i++) {
        const size_t p = t->d->matrix[i].p;
        if (read_rows(t, i, b * m, m, x) != 0) return -1;
        const smoe_status s = centred_gram(&t->q->how, false, m, p, x, scratch, A + i * m * m);
        if (s == SMOE_EDOM && t->q->how.kernel == SMOE_KERNEL_RBF) return status_of(t, i, s);
        if (s != SMOE_OK) return fail_of(t, i, smoe_strerror(s));
    }
    smoe_matmul_nt(R, R, m * m, A, A, square);
    for (size_t k = 0; k < R * R; k++) square[k] /= (double)m * (double)(m - 3); /* (K.8) */
    return 0;
}

/* HSIC_1 of every pair on every batch: h [batches,pairs]. */
static int hsic_of_batches(task *t, double *h)
{
    const size_t m = t->r->batch, R = t->R, p = widest(t->d);
    double *x = room(m * p), *scratch = room(scratch_size(m, p)), *A = room(R * m * m), *square = room(R * R);
    int result = x && scratch && A && square ? 0 : fail_memory(t);
    for (size_t b = 0; b < t->r->batches && result == 0; b++) {
        show(t, "batch", b, t->r->batches);
        result = hsic_of_batch(t, b, x, scratch, A, square);
        for (size_t i = 0; i < R && result == 0; i++)
            for (size_t j = i; j < R; j++) h[b * t->pairs + pair_of(t, i, j)] = square[i * R + j];
    }
    t->r->passes++;
    free(x);
    free(scratch);
    free(A);
    free(square);
    return result;
}

static int check_batches(task *t)
{
    similarity_result *r = t->r;
    const double R = (double)t->R, m = (double)(r->batch = t->q->batch ? t->q->batch : similarity_batch(t->n));
    const size_t least = t->q->replicates ? 8 : 1;
    char what[160];
    r->batches = t->n / r->batch;
    snprintf(what, sizeof what, "%zu samples are %zu batches of %zu, expected at least %zu%s", t->n, r->batches,
             r->batch, least, least > 1 ? " to resample" : "");
    if (r->batches < least) return fail_of(t, 0, what);
    const double bytes = sizeof(double) * ((R + 1) * m * m + 2 * m * (double)widest(t->d) +
                                           (double)t->pairs * ((double)r->batches + (double)t->q->replicates) +
                                           (double)t->q->replicates * (double)r->batches);
    if (bytes > (double)t->q->memory)
        return fail_limit(t, "the Gram matrices of a batch and the HSIC of each", bytes, ", or set --batch");
    return 0;
}

/* Means over the batches, in their order. */
static void mean_of_batches(const task *t, const double *h, double *mean)
{
    for (size_t k = 0; k < t->pairs; k++) {
        double sum = 0;
        for (size_t b = 0; b < t->r->batches; b++) sum += h[b * t->pairs + k];
        mean[k] = sum / (double)t->r->batches;
    }
}

/* (K.9) of every pair from HSICs in the order of pairs. */
static int ratios(const task *t, const double *hsic, double *cka)
{
    for (size_t i = 0; i < t->R; i++)
        for (size_t j = i; j < t->R; j++) {
            const double xx = hsic[pair_of(t, i, i)], yy = hsic[pair_of(t, j, j)];
            double *to = &cka[i * t->R + j];
            const smoe_status s = smoe_cka_ratio(hsic[pair_of(t, i, j)], xx, yy, to); /* (K.9), (K.12) */
            if (s != SMOE_OK && (i == j || !(yy > 0)))
                return !t->varies[j] ? status_of(t, j, s)
                                     : fail_of(t, j, "its HSIC with itself is not above 0: CKA is not defined");
            if (s != SMOE_OK) return status_of(t, i, s);
            cka[j * t->R + i] = *to;
        }
    return 0;
}

/* --- bootstrap ---------------------------------------------------------------------------------------------------- */

/* How often each batch is drawn in each replicate. */
static void draw(const task *t, gsl_rng *g, double *times)
{
    const size_t k = t->r->batches;
    for (size_t b = 0; b < t->q->replicates; b++)
        for (size_t i = 0; i < k; i++) times[b * k + gsl_rng_uniform_int(g, k)] += 1;
}

/* The two quantiles of a pair's ratios, as deviations from that of all batches.  A replicate without variance is left
 * out. */
static int deviations(const task *t, const double *h, const double *mean, size_t i, size_t j, double *value,
                      double *low, double *high)
{
    const size_t ij = pair_of(t, i, j), ii = pair_of(t, i, i), jj = pair_of(t, j, j);
    const double tail = (1 - t->q->level) / 2;
    double whole;
    size_t n = 0;
    if (smoe_cka_ratio(mean[ij], mean[ii], mean[jj], &whole) != SMOE_OK)
        return fail_of(t, j, "its HSIC with itself on the batches is not above 0: there is no interval");
    for (size_t b = 0; b < t->q->replicates; b++) {
        const double *sum = h + b * t->pairs;
        if (smoe_cka_ratio(sum[ij], sum[ii], sum[jj], &value[n]) == SMOE_OK) n++;
    }
    if (n == 0) return fail_of(t, j, "no replicate of the bootstrap has variance: there is no interval");
    gsl_sort(value, 1, n);
    *low = gsl_stats_quantile_from_sorted_data(value, 1, n, tail) - whole;
    *high = gsl_stats_quantile_from_sorted_data(value, 1, n, 1 - tail) - whole;
    return 0;
}

static int intervals(task *t, const double *h, const double *mean)
{
    const size_t R = t->R;
    double *value = room(t->q->replicates);
    int result = value ? 0 : fail_memory(t);
    for (size_t i = 0; i < R; i++)
        for (size_t j = i; j < R && result == 0; j++) {
            double low = 0, high = 0;
            if (i != j) result = deviations(t, h, mean, i, j, value, &low, &high);
            t->r->lower[i * R + j] = t->r->lower[j * R + i] = t->r->cka[i * R + j] + low;
            t->r->upper[i * R + j] = t->r->upper[j * R + i] = t->r->cka[i * R + j] + high;
        }
    free(value);
    return result;
}

static int bootstrap(task *t, const double *h, const double *mean)
{
    const size_t B = t->q->replicates, k = t->r->batches;
    gsl_rng *g = gsl_rng_alloc(gsl_rng_mt19937);
    double *times = room(B * k), *sum = room(B * t->pairs);
    t->r->lower = room(t->R * t->R);
    t->r->upper = room(t->R * t->R);
    int result = g && times && sum && t->r->lower && t->r->upper ? 0 : fail_memory(t);
    if (result == 0) {
        show(t, "bootstrap", 0, 1);
        gsl_rng_set(g, (unsigned long)t->q->seed);
        draw(t, g, times);
        smoe_matmul_nn(B, t->pairs, k, times, h, sum);
        result = intervals(t, sum, mean);
    }
    if (g) gsl_rng_free(g);
    free(times);
    free(sum);
    return result;
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

size_t similarity_batch(size_t n)
{
    const size_t m = n / 32;
    return m > 256 ? 256 : m < 8 ? 8 : m;
}

static int check_samples(const task *t)
{
    const dump_matrix *m = t->d->matrix;
    const bool biased = t->q->how.estimator == SMOE_HSIC_BIASED && !t->q->minibatch;
    char q[TENSOR_QUOTED], p[TENSOR_QUOTED], what[120];
    for (size_t i = 1; i < t->R; i++)
        if (m[i].n != m[0].n)
            return tensor_fail(t->err, t->errlen,
                               "%s: tensor %s has %zu samples, but tensor %s of %s has %zu: "
                               "expected the same samples in all",
                               m[i].path, tensor_quote(q, m[i].label), m[i].n, tensor_quote(p, m[0].label), m[0].path,
                               m[0].n);
    snprintf(what, sizeof what, "%zu samples, expected at least %d for the %s estimator", t->n, biased ? 2 : 4,
             t->q->minibatch ? "minibatch"
             : biased        ? "biased"
                             : "debiased");
    return t->n < (biased ? 2 : 4) ? fail_of(t, 0, what) : 0;
}

/* Fewer numbers: p q of a pair, or n^2 of a Gram matrix? */
static bool features_are_fewer(const task *t)
{
    if (t->q->how.kernel != SMOE_KERNEL_LINEAR || t->q->route == SIMILARITY_BY_GRAM) return false;
    return t->q->route == SIMILARITY_BY_FEATURES || widest(t->d) <= t->n;
}

static int with_batches(task *t)
{
    double *h = NULL, *mean = room(t->pairs);
    int result = check_batches(t);
    if (result == 0) {
        h = room(t->r->batches * t->pairs);
        result = h && mean ? hsic_of_batches(t, h) : fail_memory(t);
    }
    if (result == 0) {
        mean_of_batches(t, h, mean);
        if (t->q->minibatch) result = ratios(t, mean, t->r->cka);
    }
    if (result == 0 && t->q->replicates) result = bootstrap(t, h, mean);
    free(h);
    free(mean);
    return result;
}

static int compute(task *t)
{
    int result = check_samples(t);
    if (result == 0 && !t->q->minibatch) {
        t->r->by_features = features_are_fewer(t);
        result = t->r->by_features ? by_features(t) : by_gram(t);
        if (result == 0) result = ratios(t, t->hsic, t->r->cka);
    }
    if (result == 0 && (t->q->minibatch || t->q->replicates)) result = with_batches(t);
    show(t, NULL, 1, 1);
    return result;
}

int similarity_matrix(dump *d, const similarity_request *q, similarity_result *r, char *err, size_t errlen)
{
    task t = {.d = d, .q = q, .r = r, .R = d->matrices, .n = d->matrix[0].n, .err = err, .errlen = errlen};
    t.pairs = t.R * (t.R + 1) / 2;
    *r = (similarity_result){.R = t.R, .n = t.n, .cka = room(t.R * t.R)};
    t.varies = calloc(t.R, sizeof *t.varies);
    t.first = calloc(t.R, sizeof *t.first);
    t.hsic = room(t.pairs);
    bool fine = r->cka && t.varies && t.first && t.hsic;
    for (size_t i = 0; i < t.R && fine; i++) fine = (t.first[i] = room(d->matrix[i].p)) != NULL;
    int result = fine ? compute(&t) : fail_memory(&t);
    for (size_t i = 0; i < t.R && t.first; i++) free(t.first[i]);
    free(t.first);
    free(t.varies);
    free(t.hsic);
    if (result != 0) similarity_clear(r);
    return result;
}

void similarity_clear(similarity_result *r)
{
    free(r->cka);
    free(r->lower);
    free(r->upper);
    *r = (similarity_result){0};
}
