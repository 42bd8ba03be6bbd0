/* The twin of spec/06-similarity.md.
 *
 * Kernels of centred rows where the kernel is linear, of distances where it is not; HSIC by its centred kernels.  Every
 * other way that is right as well (the kernel of rows as they are, the kernel less one unless all samples are far apart, HKH
 * by products, one kernel centred on each side, Song's sums or U-centring, moments in feature space) is evaluated beside it
 * when a precision is given, and the bound holds all of them. */
#include "twin_parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- parameters ---------------------------------------------------------------------------------------------------- */

static bool linear(const twin_eval *x)
{
    if (twin_is(x, "KernelLinear")) return true;
    return twin_is(x, "KernelRbf") ? false : twin_chose(x, "kernel", "linear");
}

/* sigma is a fraction of the median distance. */
static bool by_median(const twin_eval *x)
{
    if (twin_is(x, "RbfAbsoluteSigma")) return false;
    return twin_is(x, "RbfFractionSigma") || twin_chose(x, "bandwidth", "median");
}

/* A choice of the bandwidth's rule, or what MedianRule/... puts in its place. */
static bool rule(const twin_eval *x, const char *param, const char *choice, const char *other)
{
    char name[64] = "MedianRule/";
    if (twin_is(x, strcat(name, choice))) return true;
    strcpy(name, "MedianRule/");
    if (twin_is(x, strcat(name, other))) return false;
    return twin_chose(x, param, choice);
}

static bool trained(const twin_eval *x)
{
    if (twin_is(x, "BandwidthTrained")) return true;
    return twin_is(x, "BandwidthDetached") ? false : twin_chose(x, "detach", "no");
}

/* HSIC_1, by Song's sums or by U-centring. */
static bool unbiased(const twin_eval *x)
{
    if (twin_is(x, "BiasedSmallN")) return false;
    if (twin_is(x, "UnbiasedForBiased")) return true;
    return twin_chose(x, "estimator", "unbiased") || twin_chose(x, "estimator", "debiased") ||
           strcmp(x->c->op->id, "similarity.minibatch") == 0;
}

/* --- small things -------------------------------------------------------------------------------------------------- */

static tape_node *number(twin_eval *x, double v) { return tape_leaf(x->t, 1, 1, &v, false); }

/* y with `times` operations more, relative, forward and in its gradient */
static tape_node *loose(twin_eval *x, tape_node *y, double operations)
{
    const size_t n = y->rows * y->cols;
    if (!tape_rounds(x->t)) return y;
    double *forward = op_room(n, sizeof *forward), *reverse = op_room(n, sizeof *reverse);
    for (size_t i = 0; i < n; i++) {
        reverse[i] = operations * tape_u(x->t);
        forward[i] = reverse[i] * tape_upper(y, i);
    }
    y = tape_slack(x->t, y, forward, reverse);
    free(forward);
    free(reverse);
    return y;
}

/* The unit matrix, or minus it plus 1: [n, n] of what is on the diagonal and what is off it. */
static tape_node *diagonal(twin_eval *x, size_t n, double on, double off)
{
    double *v = op_room(n * n, sizeof *v);
    for (size_t i = 0; i < n * n; i++) v[i] = i % (n + 1) == 0 ? on : off;
    tape_node *y = twin_numbers(x, n, n, v);
    free(v);
    return y;
}

static tape_node *transposed(twin_eval *x, tape_node *a) { return tape_matmul_tn(x->t, a, diagonal(x, a->rows, 1, 0)); }

/* --- centring (K.5) ------------------------------------------------------------------------------------------------ */

static tape_node *row_means(twin_eval *x, tape_node *K) { return tape_mean(x->t, K, TAPE_COLS, K->cols); }

static tape_node *column_means(twin_eval *x, tape_node *K) { return tape_mean(x->t, K, TAPE_ROWS, K->rows); }

static tape_node *centred_rows(twin_eval *x, tape_node *a) { return tape_sub(x->t, a, column_means(x, a)); }

/* K_ij - r_i - c_j + m */
static tape_node *doubly_centred(twin_eval *x, tape_node *K)
{
    tape_node *m = tape_mean(x->t, K, TAPE_ALL, K->rows * K->cols);
    tape_node *rest = tape_sub(x->t, tape_sub(x->t, K, row_means(x, K)), column_means(x, K));
    return tape_add(x->t, rest, m);
}

/* H K H as it is written */
static tape_node *by_products(twin_eval *x, tape_node *K)
{
    const size_t n = K->rows;
    size_t *one = op_room(n * n, sizeof *one);
    for (size_t i = 0; i < n * n; i++) one[i] = 1;
    tape_node *H = tape_sub(x->t, diagonal(x, n, 1, 0), tape_ratio(x->t, n, n, one, n));
    free(one);
    return tape_matmul_nn(x->t, tape_matmul_nn(x->t, H, K), H);
}

/* --- kernels (K.1 to K.4) ------------------------------------------------------------------------------------------ */

/* The squared distances i < j in a row. */
static tape_node *pairs(twin_eval *x, tape_node *D)
{
    const size_t n = D->rows;
    size_t *at = op_room(n * n, sizeof *at), m = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++) at[m++] = i * n + j;
    tape_node *y = tape_gather_cols(x->t, tape_view(x->t, D, 0, 1, n * n), m, at);
    free(at);
    return y;
}

/* Element `rank` of the n^2 squared distances in ascending order: n zeros of the diagonal if they count, and each of the
 * others twice. */
static tape_node *in_order(twin_eval *x, tape_node *D, size_t rank, bool with)
{
    const size_t n = D->rows;
    if (with && rank < n) return twin_numbers(x, 1, 1, (const double[]){0});
    return tape_kth(x->t, pairs(x, D), (with ? rank - n : rank) / 2);
}

/* The median distance, squared, or the median squared distance. */
static tape_node *median(twin_eval *x, tape_node *D)
{
    const size_t n = D->rows;
    const bool with = rule(x, "diagonal", "with", "without"), root = rule(x, "median", "distance", "square");
    const size_t m = with ? n * n : n * (n - 1), low = (m - 1) / 2;
    const size_t high = rule(x, "middle", "mean", "lower") ? m / 2 : low;
    tape_node *a = in_order(x, D, low, with);
    if (low == high || (with ? low >= n && (low - n) / 2 == (high - n) / 2 : low / 2 == high / 2))
        return loose(x, a, 2); /* its root and the square of that, or a mean of two equal ones */
    tape_node *both[] = {a, in_order(x, D, high, with)}, *two = tape_concat_cols(x->t, 2, both);
    if (!root) return tape_mean(x->t, two, TAPE_ALL, 2);
    return tape_apply(x->t, TAPE_SQUARE, tape_mean(x->t, tape_apply(x->t, TAPE_SQRT, two), TAPE_ALL, 2));
}

/* sigma^2 (K.3) */
static tape_node *bandwidth(twin_eval *x, tape_node *D)
{
    tape_node *sigma = number(x, op_real(x->c, "sigma"));
    if (!by_median(x)) return loose(x, tape_apply(x->t, TAPE_SQUARE, sigma), 1);
    tape_node *factor = twin_is(x, "SigmaNotSquared") ? sigma : tape_apply(x->t, TAPE_SQUARE, sigma);
    if (twin_is(x, "MedianUnscaled")) factor = twin_numbers(x, 1, 1, (const double[]){1});
    tape_node *s = loose(x, tape_mul(x->t, median(x, D), factor), 2);
    return trained(x) ? s : tape_stop(x->t, s);
}

/* -D / (2 sigma^2) (K.4) */
static tape_node *exponent(twin_eval *x, tape_node *D, tape_node *variance)
{
    double two = -2;
    if (twin_is(x, "SquaredSigmaSlip/distance")) D = tape_apply(x->t, TAPE_SQRT, D);
    if (twin_is(x, "SquaredSigmaSlip/sigma")) variance = tape_apply(x->t, TAPE_SQRT, variance);
    if (twin_is(x, "SquaredSigmaSlip/two")) two = -1;
    return loose(x, tape_div(x->t, D, tape_scale(x->t, variance, two)), 1);
}

/* --- the Gram expansion, a known mistake --------------------------------------------------------------------------- */

static double round_to(double v, int digits)
{
    int e;
    if (digits >= 53 || v == 0) return v;
    const double m = frexp(v, &e);
    return ldexp(nearbyint(ldexp(m, digits)), e - digits);
}

/* The inner product of two rows, each operation rounded; *size: the sum of magnitudes.  *sharp: no order of the terms and no
 * fusing gives another number, since at most one term leaves the last place of the sum. */
static double rounded_dot(size_t p, const double *a, const double *b, int digits, double *size, bool *sharp)
{
    double s = 0, most = 0;
    *size = 0;
    for (size_t k = 0; k < p; k++) {
        s = round_to(s + round_to(a[k] * b[k], digits), digits);
        *size += fabs(a[k] * b[k]);
        if (fabs(a[k] * b[k]) > most) most = fabs(a[k] * b[k]);
    }
    size_t others = 0;
    for (size_t k = 0; k < p; k++) others += a[k] * b[k] != 0 && fabs(a[k] * b[k]) < most;
    *sharp = *size == 0 || (others <= 1 && frexp(most, &(int){0}) == 0.5);
    return s;
}

/* |a_i|^2 + |a_j|^2 - 2 <a_i, a_j> in an arithmetic of so many digits, 0 where that is negative. */
static tape_node *expanded(twin_eval *x, tape_node *a, int digits)
{
    const size_t n = a->rows, p = a->cols;
    tape_node *D = tape_distances(x->t, a);
    double *row = op_room(n * p, sizeof *row), *off = op_room(n * n, sizeof *off), *open = op_room(n * n, sizeof *open);
    for (size_t e = 0; e < n * p; e++) row[e] = tape_middle(a, e);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            double size[3];
            bool sharp[3];
            const double ii = rounded_dot(p, row + i * p, row + i * p, digits, &size[0], &sharp[0]);
            const double jj = rounded_dot(p, row + j * p, row + j * p, digits, &size[1], &sharp[1]);
            const double ij = rounded_dot(p, row + i * p, row + j * p, digits, &size[2], &sharp[2]);
            const double d = fmax(0, round_to(round_to(ii + jj, digits) - 2 * ij, digits));
            double exact = 0;
            for (size_t k = 0; k < p; k++)
                exact = fma(row[i * p + k] - row[j * p + k], row[i * p + k] - row[j * p + k], exact);
            off[i * n + j] = d - exact;
            if (tape_rounds(x->t) && !(sharp[0] && sharp[1] && sharp[2]))
                open[i * n + j] = ldexp((double)p + 4, -digits) * (size[0] + size[1] + 2 * size[2]);
        }
    tape_node *y = tape_add(x->t, D, twin_numbers(x, n, n, off));
    y = tape_slack(x->t, y, open, NULL);
    free(row);
    free(off);
    free(open);
    return y;
}

static tape_node *distances(twin_eval *x, tape_node *a)
{
    if (twin_is(x, "GramExpansion/f64")) return expanded(x, a, 53);
    if (twin_is(x, "GramExpansion/f32")) return expanded(x, a, 24);
    return tape_distances(x->t, a);
}

/* The exponents of the RBF kernel of the rows of a; *variance: sigma^2. */
static tape_node *exponents(twin_eval *x, tape_node *a, tape_node **variance)
{
    tape_node *D = distances(x, a);
    *variance = bandwidth(x, D);
    return exponent(x, D, *variance);
}

/* --- one set of representations ------------------------------------------------------------------------------------ */

/* The rows and their kernel; the linear one is that of centred rows, the other is exp of something. */
typedef struct {
    tape_node *rows, *K, *exponent;
} sample;

/* The mistakes that are made on a kernel that is not centred: their route is the only one. */
static bool off_the_path(const twin_eval *x)
{
    return twin_is(x, "Uncentred") || twin_is(x, "OneSideCentred") || twin_is(x, "KernelDiagonalKept");
}

static sample sample_of(twin_eval *x, tape_node *rows)
{
    sample s = {rows, NULL, NULL};
    if (!linear(x)) {
        tape_node *variance;
        s.exponent = exponents(x, rows, &variance);
        s.K = tape_apply(x->t, TAPE_EXP, s.exponent);
    } else {
        tape_node *a = off_the_path(x) ? rows : centred_rows(x, rows);
        s.K = tape_matmul_nt(x->t, a, a);
    }
    return s;
}

/* For one route more: K as it is, the linear kernel of the rows as they are, the centred rows. */
static tape_node *again(twin_eval *x, const sample *s) { return tape_aside(x->t, s->K); }

static tape_node *raw(twin_eval *x, const sample *s)
{
    tape_node *rows = tape_aside(x->t, s->rows);
    return tape_matmul_nt(x->t, rows, rows);
}

/* K - 1, which is centred to the same */
static tape_node *less_one(twin_eval *x, const sample *s)
{
    return tape_apply(x->t, TAPE_EXPM1, tape_aside(x->t, s->exponent));
}

/* Is some K_ij 1/16 or more?  Where all are smaller, K - 1 has lost what U-centring reads, and is no route any more; the
 * chapter leaves it below 1/2. */
static bool some_near(const sample *s)
{
    const size_t n = s->K->rows;
    for (size_t i = 0; i < n * n; i++)
        if (i % (n + 1) != 0 && !(tape_upper(s->K, i) < 0x1p-4)) return true;
    return false;
}

/* The other form of a kernel that is U-centred. */
static tape_node *other_form(twin_eval *x, const sample *s)
{
    if (linear(x)) return raw(x, s);
    return some_near(s) ? less_one(x, s) : again(x, s);
}

static tape_node *centred_again(twin_eval *x, const sample *s) { return centred_rows(x, tape_aside(x->t, s->rows)); }

/* --- HSIC (K.6 to K.8, K.11) --------------------------------------------------------------------------------------- */

static tape_node *inner(twin_eval *x, tape_node *K, tape_node *L)
{
    return tape_sum(x->t, tape_mul(x->t, K, L), TAPE_ALL);
}

static tape_node *squares(twin_eval *x, tape_node *a)
{
    return tape_sum(x->t, tape_apply(x->t, TAPE_SQUARE, a), TAPE_COLS);
}

/* |X^T Y|^2 of centred rows */
static tape_node *in_features(twin_eval *x, tape_node *a, tape_node *b)
{
    return tape_sum(x->t, tape_apply(x->t, TAPE_SQUARE, tape_matmul_tn(x->t, a, b)), TAPE_ALL);
}

static tape_node *either(twin_eval *x, tape_node *y, tape_node *other) { return tape_either(x->t, y, other); }

/* sum (HKH) o (HLH), not divided */
static tape_node *biased(twin_eval *x, const sample *a, const sample *b)
{
    if (twin_is(x, "Uncentred")) return inner(x, a->K, b->K);
    if (twin_is(x, "OneSideCentred"))
        return inner(x, tape_sub(x->t, a->K, column_means(x, a->K)), tape_sub(x->t, b->K, column_means(x, b->K)));
    const bool done = linear(x); /* the rows were centred */
    tape_node *y = inner(x, done ? a->K : doubly_centred(x, a->K), done ? b->K : doubly_centred(x, b->K));
    if (!tape_rounds(x->t)) return y;
    tape_node *(*kernel)(twin_eval *, const sample *) = done ? raw : again;
    y = either(x, y, inner(x, by_products(x, kernel(x, a)), by_products(x, kernel(x, b))));
    tape_node *K = kernel(x, a), *L = kernel(x, b);
    y = either(x, y, inner(x, tape_sub(x->t, K, row_means(x, K)), tape_sub(x->t, L, column_means(x, L))));
    kernel = done ? raw : less_one;
    y = either(x, y, inner(x, doubly_centred(x, kernel(x, a)), doubly_centred(x, kernel(x, b))));
    if (!done) return y;
    return either(x, y, in_features(x, centred_again(x, a), centred_again(x, b)));
}

static tape_node *hollow(twin_eval *x, tape_node *K)
{
    return twin_is(x, "KernelDiagonalKept") ? K : tape_mul(x->t, K, diagonal(x, K->rows, 0, 1));
}

/* tr KL + 1'K1 1'L1 / ((n-1)(n-2)) - 2/(n-2) 1'KL1 of kernels without their diagonals */
static tape_node *by_song(twin_eval *x, tape_node *K, tape_node *L)
{
    const size_t n = K->rows;
    K = hollow(x, K);
    L = hollow(x, L);
    tape_node *sums = tape_mul(x->t, tape_sum(x->t, K, TAPE_ALL), tape_sum(x->t, L, TAPE_ALL));
    tape_node *product = tape_sum(x->t, tape_matmul_nn(x->t, K, L), TAPE_ALL);
    tape_node *y = tape_add(x->t, inner(x, K, L), tape_mean(x->t, sums, TAPE_ALL, (n - 1) * (n - 2)));
    return tape_sub(x->t, y, tape_scale(x->t, tape_mean(x->t, product, TAPE_ALL, n - 2), 2));
}

/* K_ij - r_i/(n-2) - r_j/(n-2) + s/((n-1)(n-2)) off the diagonal, with the sums of what is there */
static tape_node *u_centred(twin_eval *x, tape_node *K)
{
    const size_t n = K->rows;
    K = hollow(x, K);
    tape_node *y = tape_sub(x->t, K, tape_mean(x->t, K, TAPE_COLS, n - 2));
    y = tape_sub(x->t, y, tape_mean(x->t, K, TAPE_ROWS, n - 2));
    return hollow(x, tape_add(x->t, y, tape_mean(x->t, K, TAPE_ALL, (n - 1) * (n - 2))));
}

/* |X^T Y|^2 - n/(n-2) sum a_i b_i + sum a sum b / ((n-1)(n-2)),  a_i = |x_i|^2, b_i = |y_i|^2, of centred rows */
static tape_node *unbiased_in_features(twin_eval *x, tape_node *rows, tape_node *others)
{
    const size_t n = rows->rows;
    tape_node *a = squares(x, rows), *b = squares(x, others);
    tape_node *sums = tape_mul(x->t, tape_sum(x->t, a, TAPE_ALL), tape_sum(x->t, b, TAPE_ALL));
    tape_node *cross = tape_scale(x->t, tape_mean(x->t, inner(x, a, b), TAPE_ALL, n - 2), (double)n);
    tape_node *y = tape_sub(x->t, in_features(x, rows, others), cross);
    return loose(x, tape_add(x->t, y, tape_mean(x->t, sums, TAPE_ALL, (n - 1) * (n - 2))), 2);
}

/* n (n-3) HSIC_1 */
static tape_node *song(twin_eval *x, const sample *a, const sample *b)
{
    tape_node *y = by_song(x, a->K, b->K);
    if (!tape_rounds(x->t) || off_the_path(x)) return y;
    y = either(x, y, inner(x, u_centred(x, again(x, a)), u_centred(x, again(x, b))));
    if (!linear(x) && !some_near(a) && !some_near(b)) return y;
    y = either(x, y, by_song(x, other_form(x, a), other_form(x, b)));
    y = either(x, y, inner(x, u_centred(x, other_form(x, a)), u_centred(x, other_form(x, b))));
    if (!linear(x)) return y;
    return either(x, y, unbiased_in_features(x, centred_again(x, a), centred_again(x, b)));
}

/* The divisor of the biased form. */
static size_t divisor(const twin_eval *x, size_t n)
{
    static const char *const names[] = {"n-1", "n", "none"};
    const size_t by[] = {(n - 1) * (n - 1), n * n, 1};
    size_t chosen = 0;
    for (size_t i = 0; i < 3 && strcmp(x->c->op->id, "similarity.hsic") == 0; i++)
        if (twin_chose(x, "divide", names[i])) chosen = i;
    for (size_t i = 0; i < 3; i++) {
        char variant[24];
        snprintf(variant, sizeof variant, "HsicDivisor/%s", names[i]);
        if (twin_is(x, variant)) chosen = i;
    }
    return by[chosen];
}

static tape_node *hsic_of(twin_eval *x, const sample *a, const sample *b)
{
    const size_t n = a->K->rows;
    if (unbiased(x) && n > 3)
        return tape_mean(x->t, song(x, a, b), TAPE_ALL, n * (twin_is(x, "HsicDivisor/unbiased") ? n - 1 : n - 3));
    tape_node *y = biased(x, a, b);
    const size_t by = divisor(x, n);
    return by == 1 ? y : tape_mean(x->t, y, TAPE_ALL, by);
}

/* Of the rows of a and b. */
static tape_node *hsic(twin_eval *x, tape_node *a, tape_node *b)
{
    const bool same = a == b;
    if (!tape_rounds(x->t)) {
        const sample s = sample_of(x, a), r = same ? s : sample_of(x, b);
        return hsic_of(x, &s, &r);
    }
    tape_node *both[] = {tape_open(x->t, a), same ? NULL : tape_open(x->t, b)};
    const sample s = sample_of(x, both[0]), r = same ? s : sample_of(x, both[1]);
    return tape_close(x->t, hsic_of(x, &s, &r), same ? 1 : 2, both);
}

/* What a mistake makes of the two before anything else. */
static void prepare(twin_eval *x, tape_node **a, tape_node **b)
{
    if (twin_is(x, "OneSideDetached")) *b = tape_stop(x->t, *b);
    if (!twin_is(x, "TransposedFeatures") || (*a)->cols != (*b)->cols || (*a)->cols < 4) return;
    *a = transposed(x, *a);
    *b = transposed(x, *b);
}

/* --- CKA (K.9) ----------------------------------------------------------------------------------------------------- */

/* h_xy / sqrt(h_xx h_yy); also right: over the product of the roots, or norms for h_xx and h_yy */
static tape_node *ratio(twin_eval *x, tape_node *xy, tape_node *xx, tape_node *yy)
{
    xx = loose(x, xx, 2);
    yy = loose(x, yy, 2);
    if (twin_is(x, "NegativeHsicRoot")) xy = tape_apply(x->t, TAPE_RELU, xy);
    tape_node *product = tape_mul(x->t, xx, yy);
    if (twin_is(x, "NormaliserDetached")) product = tape_stop(x->t, product);
    if (!twin_is(x, "MissingRoot")) product = tape_apply(x->t, TAPE_SQRT, product);
    return loose(x, tape_div(x->t, xy, product), 2);
}

static tape_node *cka_of(twin_eval *x, tape_node *a, tape_node *b)
{
    if (twin_is(x, "SmallNNaN") && a->rows <= 3) return twin_numbers(x, 1, 1, (const double[]){0});
    prepare(x, &a, &b);
    return ratio(x, hsic(x, a, b), hsic(x, a, a), hsic(x, b, b));
}

tape_node *twin_cka(twin_eval *x, tape_node *a, tape_node *b) { return cka_of(x, a, b); }

/* --- operations ---------------------------------------------------------------------------------------------------- */

static tape_node *outer(twin_eval *x, tape_node *a)
{
    return tape_matmul_nt(x->t, a, twin_is(x, "OneSideDetached") ? tape_stop(x->t, a) : a);
}

static tape_node *centred_linear(twin_eval *x, tape_node *a)
{
    if (twin_is(x, "OneSideCentred")) {
        tape_node *K = outer(x, a);
        return tape_sub(x->t, K, column_means(x, K));
    }
    tape_node *y = outer(x, centred_rows(x, a));
    if (!tape_rounds(x->t)) return y;
    tape_node *raw = outer(x, tape_aside(x->t, a));
    return either(x, either(x, y, doubly_centred(x, raw)), by_products(x, raw));
}

static tape_node *centred_rbf(twin_eval *x, tape_node *exponent)
{
    tape_node *K = tape_apply(x->t, TAPE_EXP, exponent);
    if (twin_is(x, "OneSideCentred")) return tape_sub(x->t, K, column_means(x, K));
    tape_node *y = doubly_centred(x, K);
    if (!tape_rounds(x->t)) return y;
    y = either(x, y, by_products(x, tape_aside(x->t, K)));
    return either(x, y, doubly_centred(x, tape_apply(x->t, TAPE_EXPM1, tape_aside(x->t, exponent))));
}

static void similarity_kernel(twin_eval *x)
{
    tape_node *a = twin_in(x, "x"), *gram, *variance = twin_numbers(x, 1, 1, (const double[]){0});
    if (twin_is(x, "TransposedFeatures") && a->rows == a->cols) a = transposed(x, a);
    const bool centre = twin_is(x, "CentredKernel") || (op_is(x->c, "centre", "yes") && !twin_is(x, "Uncentred"));
    if (linear(x)) {
        gram = centre ? centred_linear(x, a) : outer(x, a);
    } else {
        tape_node *minus = exponents(x, a, &variance);
        gram = centre ? centred_rbf(x, minus) : tape_apply(x->t, TAPE_EXP, minus);
    }
    twin_out(x, "gram", twin_loss(x, gram));
    twin_out(x, "bandwidth", variance);
}

static void similarity_hsic(twin_eval *x)
{
    tape_node *a = twin_in(x, "x"), *b = twin_in(x, "y");
    prepare(x, &a, &b);
    tape_node *y = hsic(x, a, b);
    twin_out(x, "hsic", twin_loss(x, twin_is(x, "NegativeHsicRoot") ? tape_apply(x->t, TAPE_RELU, y) : y));
}

static void similarity_cka(twin_eval *x)
{
    twin_out(x, "cka", twin_loss(x, cka_of(x, twin_in(x, "x"), twin_in(x, "y"))));
}

/* --- minibatch (K.12) ---------------------------------------------------------------------------------------------- */

/* Batch b of k: `each` consecutive rows, or every k-th row. */
static tape_node *batch_of(twin_eval *x, tape_node *a, size_t b, size_t k, size_t each)
{
    size_t *row = op_room(each, sizeof *row);
    for (size_t i = 0; i < each; i++) row[i] = twin_is(x, "MinibatchStrided") ? b + i * k : b * each + i;
    tape_node *y = tape_gather_rows(x->t, a, each, row);
    free(row);
    return y;
}

static tape_node *mean_of(twin_eval *x, size_t k, tape_node **list)
{
    return k == 1 ? list[0] : tape_mean(x->t, tape_concat_rows(x->t, k, list), TAPE_ALL, k);
}

static void similarity_minibatch(twin_eval *x)
{
    tape_node *a = twin_in(x, "x"), *b = twin_in(x, "y"), *cka;
    const size_t each = twin_is(x, "MinibatchWhole") ? a->rows : (size_t)op_int(x->c, "batch"), k = a->rows / each;
    tape_node **h[4];
    for (size_t i = 0; i < 4; i++) h[i] = op_room(k, sizeof **h);
    for (size_t i = 0; i < k; i++) {
        tape_node *s = batch_of(x, a, i, k, each), *r = batch_of(x, b, i, k, each);
        prepare(x, &s, &r);
        h[0][i] = hsic(x, s, r);
        h[1][i] = hsic(x, s, s);
        h[2][i] = hsic(x, r, r);
        if (twin_is(x, "MinibatchMeanOfRatios")) h[3][i] = ratio(x, h[0][i], h[1][i], h[2][i]);
    }
    if (twin_is(x, "MinibatchMeanOfRatios"))
        cka = mean_of(x, k, h[3]);
    else
        cka = ratio(x, mean_of(x, k, h[0]), mean_of(x, k, h[1]), mean_of(x, k, h[2]));
    for (size_t i = 0; i < 4; i++) free(h[i]);
    twin_out(x, "cka", twin_loss(x, cka));
}

/* --- cosines (K.13) ------------------------------------------------------------------------------------------------ */

static bool zero_row(const tape_node *a, size_t i)
{
    for (size_t k = 0; k < a->cols; k++)
        if (!arb_is_zero(a->v + i * a->cols + k)) return false;
    return true;
}

/* <x_i, y_i> of each row, [n, 1] */
static tape_node *paired(twin_eval *x, tape_node *a, tape_node *b)
{
    return tape_sum(x->t, tape_mul(x->t, a, b), TAPE_COLS);
}

/* <x, y> / (|x| |y|); also right: of unit rows, or over the root of <x,x> <y,y> */
static tape_node *cosines(twin_eval *x, tape_node *a, tape_node *b)
{
    if (twin_is(x, "CosineUnnormalised")) return paired(x, a, b);
    tape_node *y = tape_div(x->t, paired(x, a, b), loose(x, tape_mul(x->t, tape_norm(x->t, a), tape_norm(x->t, b)), 4));
    if (!tape_rounds(x->t)) return y;
    a = tape_aside(x->t, a);
    b = tape_aside(x->t, b);
    return either(x, y, paired(x, twin_directions(x, a), twin_directions(x, b)));
}

static tape_node *magnitude(twin_eval *x, tape_node *v)
{
    tape_node *minus = tape_sub(x->t, tape_fill(x->t, 1, 1, 0), v);
    return tape_add(x->t, tape_apply(x->t, TAPE_RELU, v), tape_apply(x->t, TAPE_RELU, minus));
}

static void similarity_cosine(twin_eval *x)
{
    tape_node *a = twin_in(x, "x"), *b = twin_in(x, "y");
    const bool absolute = op_is(x->c, "form", "absolute") != twin_is(x, "CosineSign");
    if (twin_is(x, "OneSideDetached")) b = tape_stop(x->t, b);
    if (twin_is(x, "Centred")) a = centred_rows(x, a), b = centred_rows(x, b);
    size_t n = a->rows, *row = op_room(n, sizeof *row), m = 0;
    if (twin_is(x, "CosineFlattened")) {
        a = tape_view(x->t, a, 0, 1, n * a->cols);
        b = tape_view(x->t, b, 0, 1, n * b->cols);
        n = 1;
    }
    for (size_t i = 0; i < n; i++)
        if (!zero_row(a, i) && !zero_row(b, i)) row[m++] = i;
    tape_node *v = cosines(x, tape_gather_rows(x->t, a, m, row), tape_gather_rows(x->t, b, m, row));
    if (absolute && !twin_is(x, "CosineOfMean")) v = magnitude(x, v);
    v = tape_mean(x->t, v, TAPE_ALL, twin_is(x, "CosineSum") ? 1 : twin_is(x, "CosineZeroRows") && m ? m : n);
    if (absolute && twin_is(x, "CosineOfMean")) v = magnitude(x, v);
    free(row);
    twin_out(x, "value", twin_loss(x, v));
}

const twin_entry twin_similarity[] = {
    {"similarity.kernel", similarity_kernel}, {"similarity.hsic", similarity_hsic},
    {"similarity.cka", similarity_cka},       {"similarity.minibatch", similarity_minibatch},
    {"similarity.cosine", similarity_cosine}, {NULL, NULL},
};
