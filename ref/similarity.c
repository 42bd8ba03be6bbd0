/* Similarity of representations: spec/06-similarity.md. */
#include "similarity.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __FRAMAC__
/*@ assigns \nothing; */
double fma(double x, double y, double z);
/*@ requires \valid(to + (0 .. bytes/sizeof(double) - 1));
    assigns to[0 .. bytes/sizeof(double) - 1]; */
void memset_of_doubles(double *to, int byte, size_t bytes);
#define memset memset_of_doubles /* WP does not know the bytes of a double; here they are always 0 */
#endif

/*@ requires \valid_read(x + (0 .. n-1));
    assigns \nothing;
    ensures \result == SMOE_OK || \result == SMOE_EOVRFLW; */
static smoe_status finite_or_overflow(size_t n, const double *x)
{
    return smoe_all_finite(n, x) ? SMOE_OK : SMOE_EOVRFLW;
}

/*@ assigns \nothing;
    ensures \result <==> smoe_finite(x); */
static bool finite_number(double x)
{
    return -DBL_MAX <= x && x <= DBL_MAX;
}

/*@ assigns \nothing;
    ensures \result <==> 0 < x && smoe_finite(x); */
static bool positive(double x) { return x > 0 && x <= DBL_MAX; }

/* The fast forms go through a matrix in strips of rows, in blocks of their columns, and in tiles where it is read across.
 * None of these is in the bits. */
enum { STRIP = 48, DEEP = 256, WIDE = 1024, TILE = 8 };

/*@ assigns \nothing;
    ensures \result == (a < b ? a : b); */
static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* --- K.1, K.2: inner products and distances --- */

smoe_status smoe_gram_linear(size_t n, size_t p, const double *x, double *K)
{
    if (n == 0 || p == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(n * p, x)) return SMOE_EDOM;
    smoe_matmul_nt(n, n, p, x, x, K);                                   /* (K.1) */
    return finite_or_overflow(n * n, K);
}

smoe_status smoe_gram_linear_vjp(size_t n, size_t p, const double *x, const double *dK, double *dx)
{
    if (n == 0 || p == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(n * p, x) || !smoe_all_finite(n * n, dK)) return SMOE_EDOM;
    smoe_matmul_nn(n, p, n, dK, x, dx);                                 /* (K.1'), x_i as the left factor */
    smoe_matmul_tn_acc(n, p, n, dK, x, dx);                             /* (K.1'), x_i as the right one */
    return finite_or_overflow(n * p, dx);
}

smoe_status smoe_squared_distances_naive(size_t n, size_t p, const double *x, double *D)
{
    if (n == 0 || p == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(n * p, x)) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= n;
        loop assigns i, D[0 .. n*n-1]; loop variant n - i; */
    for (size_t i = 0; i < n; i++) {
        /*@ assert i*n + n <= n*n; */
        /*@ assert i*p + p <= n*p; */
        /*@ loop invariant 0 <= j <= n;
            loop assigns j, D[0 .. n*n-1]; loop variant n - j; */
        for (size_t j = 0; j < n; j++) {
            /*@ assert j*p + p <= n*p; */
            double sum = 0;
            /*@ loop invariant 0 <= k <= p;
                loop assigns k, sum; loop variant p - k; */
            for (size_t k = 0; k < p; k++) {
                const double difference = x[i * p + k] - x[j * p + k];
                sum = fma(difference, difference, sum);                 /* (K.2) */
            }
            D[i * n + j] = sum;
        }
    }
    return finite_or_overflow(n * n, D);
}

/* The other half of a symmetric matrix, in tiles, because a column is slow to walk along. */
/*@ requires smoe_size(n*n) && \valid(D + (0 .. n*n-1));
    assigns D[0 .. n*n-1]; */
static void mirror(size_t n, double *D)
{
    /*@ assert n <= 0xffffffff; */
    /*@ loop invariant 0 <= i <= n + TILE;
        loop assigns i, D[0 .. n*n-1]; loop variant n - i; */
    for (size_t i = 0; i < n; i += TILE)
        /*@ loop invariant i <= j <= n + TILE;
            loop assigns j, D[0 .. n*n-1]; loop variant n - j; */
        for (size_t j = i; j < n; j += TILE)
            /*@ loop invariant i <= a <= n;
                loop assigns a, D[0 .. n*n-1]; loop variant n - a; */
            for (size_t a = i; a < least(n, i + TILE); a++)
                //@ ghost row_is_inside(a, n, n);
                /*@ loop invariant j <= b <= n;
                    loop assigns b, D[0 .. n*n-1]; loop variant n - b; */
                for (size_t b = j; b < least(n, j + TILE); b++)
                    //@ ghost row_is_inside(b, n, n);
                    D[b * n + a] = D[a * n + b];
}

smoe_status smoe_squared_distances(size_t n, size_t p, const double *x, double *D)
{
    if (n == 0 || p == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(n * p, x)) return SMOE_EDOM;
    for (size_t i = 0; i < n; i += STRIP) { /* from the diagonal on */
        const size_t rows = least(STRIP, n - i);
        for (size_t a = i; a < i + rows; a++) memset(D + a * n + i, 0, (n - i) * sizeof *D);
        smoe_distances_acc(0, rows, n - i, p, x + i * p, x + i * p, D + i * n + i, n); /* (K.2) */
        for (size_t a = i; a < i + rows; a++)
            if (!smoe_all_finite(n - i, D + a * n + i)) return SMOE_EOVRFLW;
    }
    mirror(n, D);
    return SMOE_OK;
}

smoe_status smoe_squared_distances_vjp_naive(size_t n, size_t p, const double *x, const double *dD, double *dx)
{
    if (n == 0 || p == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(n * p, x) || !smoe_all_finite(n * n, dD)) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= n;
        loop assigns i, dx[0 .. n*p-1]; loop variant n - i; */
    for (size_t i = 0; i < n; i++)
        //@ ghost row_is_inside(i, n, n);
        //@ ghost row_is_inside(i, n, p);
        /*@ loop invariant 0 <= k <= p;
            loop assigns k, dx[0 .. n*p-1]; loop variant p - k; */
        for (size_t k = 0; k < p; k++) {
            double sum = 0;
            /*@ loop invariant 0 <= j <= n;
                loop assigns j, sum; loop variant n - j; */
            for (size_t j = 0; j < n; j++) {
                //@ ghost row_is_inside(j, n, n);
                //@ ghost row_is_inside(j, n, p);
                const double both = 2 * (dD[i * n + j] + dD[j * n + i]);
                sum = fma(both, x[i * p + k] - x[j * p + k], sum);      /* (K.2') */
            }
            dx[i * p + k] = sum;
        }
    return finite_or_overflow(n * p, dx);
}

/* both_ij = 2 (dD_ij + dD_ji) for a strip of rows and a block of columns, in tiles. */
/*@ requires smoe_size(n*n) && i + rows <= n && j + columns <= n && rows <= STRIP && columns <= DEEP;
    requires \valid_read(dD + (0 .. n*n-1)) && \valid(both + (0 .. rows*columns-1));
    requires \separated(dD + (0 .. n*n-1), both + (0 .. rows*columns-1));
    assigns both[0 .. rows*columns-1]; */
static void both_sides(size_t n, const double *dD, size_t i, size_t rows, size_t j, size_t columns, double *both)
{
    /*@ loop invariant 0 <= a <= rows + TILE;
        loop assigns a, both[0 .. rows*columns-1]; loop variant rows - a; */
    for (size_t a = 0; a < rows; a += TILE)
        /*@ loop invariant 0 <= b <= columns + TILE;
            loop assigns b, both[0 .. rows*columns-1]; loop variant columns - b; */
        for (size_t b = 0; b < columns; b += TILE)
            /*@ loop invariant a <= r <= rows;
                loop assigns r, both[0 .. rows*columns-1]; loop variant rows - r; */
            for (size_t r = a; r < least(rows, a + TILE); r++)
                //@ ghost row_is_inside(i + r, n, n);
                //@ ghost row_is_inside(r, rows, columns);
                /*@ loop invariant b <= c <= columns;
                    loop assigns c, both[0 .. rows*columns-1]; loop variant columns - c; */
                for (size_t c = b; c < least(columns, b + TILE); c++)
                    //@ ghost row_is_inside(j + c, n, n);
                    both[r * columns + c] = 2 * (dD[(i + r) * n + j + c] + dD[(j + c) * n + i + r]);
}

/*@ requires n > 0 && p > 0 && smoe_size(n*p) && smoe_size(n*n) && \valid_read(x + (0 .. n*p-1));
    requires \valid_read(dD + (0 .. n*n-1)) && \valid(dx + (0 .. n*p-1));
    requires \separated(x + (0 .. n*p-1), dx + (0 .. n*p-1)) && \separated(dD + (0 .. n*n-1), dx + (0 .. n*p-1));
    assigns dx[0 .. n*p-1];
    ensures \result == SMOE_OK || \result == SMOE_EOVRFLW; */
static smoe_status distances_vjp(size_t n, size_t p, const double *x, const double *dD, double *dx)
{
    memset(dx, 0, n * p * sizeof *dx);
    /*@ assert n <= 0xffffffff; */
    /*@ loop invariant 0 <= i <= n + STRIP;
        loop assigns i, dx[0 .. n*p-1]; loop variant n - i; */
    for (size_t i = 0; i < n; i += STRIP)
        /*@ loop invariant 0 <= j <= n + DEEP;
            loop assigns j, dx[0 .. n*p-1]; loop variant n - j; */
        for (size_t j = 0; j < n; j += DEEP) {
            double both[STRIP * DEEP];
            const size_t rows = least(STRIP, n - i), columns = least(DEEP, n - j);
            /*@ assert rows * columns <= STRIP * DEEP; */
            /*@ assert 0 <= i*p && i*p + rows*p <= n*p; */
            /*@ assert 0 <= j*p && j*p + columns*p <= n*p; */
            both_sides(n, dD, i, rows, j, columns, both);
            smoe_pull_acc(0, rows, p, columns, both, x + i * p, x + j * p, dx + i * p); /* (K.2') */
        }
    return finite_or_overflow(n * p, dx);
}

smoe_status smoe_squared_distances_vjp(size_t n, size_t p, const double *x, const double *dD, double *dx)
{
    if (n == 0 || p == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(n * p, x) || !smoe_all_finite(n * n, dD)) return SMOE_EDOM;
    return distances_vjp(n, p, x, dD, dx);
}

/* --- K.3: bandwidths --- */

smoe_status smoe_bandwidth_absolute(double sigma, double *variance)
{
    if (!positive(sigma)) return SMOE_EDOM;
    const double square = sigma * sigma;                                /* (K.3), absolute */
    if (square == 0) return SMOE_EDOM;
    if (!isfinite(square)) return SMOE_EOVRFLW;
    *variance = square;
    return SMOE_OK;
}

/* The doubles from 0 up, in order, are numbered by their bits. */
static double double_number(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* How many of the distances that count are at most v, or below it. */
static size_t distances_up_to(smoe_diagonal diagonal, size_t n, const double *D, double v)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            if ((diagonal == SMOE_DIAGONAL_WITH || i != j) && D[i * n + j] <= v) count++;
    return count;
}

/* The element of that rank, 0 for the smallest: the least double that more than `rank` elements do not exceed. */
static double distance_of_rank(smoe_diagonal diagonal, size_t n, const double *D, size_t rank)
{
    uint64_t low = 0, high = UINT64_C(0x7fefffffffffffff); /* the largest double: nothing exceeds it */
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (distances_up_to(diagonal, n, D, double_number(middle)) > rank)
            high = middle;
        else
            low = middle + 1;
    }
    return double_number(low);
}

/* Where it stands: equals are ranked row by row. */
static size_t place_of_rank(smoe_diagonal diagonal, size_t n, const double *D, size_t rank, double value)
{
    size_t below = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            if ((diagonal == SMOE_DIAGONAL_WITH || i != j) && D[i * n + j] < value) below++;
    size_t place = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            if ((diagonal == SMOE_DIAGONAL_WITH || i != j) && D[i * n + j] == value && below++ == rank)
                place = i * n + j;
    return place;
}

typedef struct {
    size_t low, high; /* ranks of the middle elements, the same if there is one */
    double a, b;      /* their values */
} middle_pair;

static smoe_status find_middle(const smoe_similarity *how, size_t n, const double *D, middle_pair *m)
{
    const bool with = how->diagonal == SMOE_DIAGONAL_WITH, mean = how->middle == SMOE_MIDDLE_MEAN;
    if (!with && how->diagonal != SMOE_DIAGONAL_WITHOUT) return SMOE_EINVAL;
    if (!mean && how->middle != SMOE_MIDDLE_LOWER) return SMOE_EINVAL;
    if (how->median != SMOE_MEDIAN_DISTANCE && how->median != SMOE_MEDIAN_SQUARE) return SMOE_EINVAL;
    if (n == 0 || (n == 1 && !with)) return SMOE_EINVAL;
    if (!positive(how->sigma)) return SMOE_EDOM;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            if ((with || i != j) && !(D[i * n + j] >= 0 && D[i * n + j] <= DBL_MAX)) return SMOE_EDOM;
    const size_t values = with ? n * n : n * (n - 1);
    m->low = (values - 1) / 2;
    m->high = mean ? values / 2 : m->low;
    m->a = distance_of_rank(how->diagonal, n, D, m->low);
    m->b = m->high == m->low ? m->a : distance_of_rank(how->diagonal, n, D, m->high);
    return SMOE_OK;
}

smoe_status smoe_bandwidth_median(const smoe_similarity *how, size_t n, const double *D, double *variance)
{
    middle_pair m;
    const smoe_status status = find_middle(how, n, D, &m);
    if (status != SMOE_OK) return status;
    double square;
    if (how->median == SMOE_MEDIAN_DISTANCE) {
        const double scaled = how->sigma * ((sqrt(m.a) + sqrt(m.b)) / 2);
        square = scaled * scaled;                                       /* (K.3), sigma median sqrt D */
    } else {
        square = how->sigma * how->sigma * (m.a / 2 + m.b / 2);         /* (K.3), sigma^2 median D */
    }
    if (square == 0) return SMOE_EDOM;
    if (!isfinite(square)) return SMOE_EOVRFLW;
    *variance = square;
    return SMOE_OK;
}

smoe_status smoe_bandwidth_median_vjp(const smoe_similarity *how, size_t n, const double *D, double dvariance,
                                      double *dD)
{
    middle_pair m;
    const smoe_status status = find_middle(how, n, D, &m);
    if (status != SMOE_OK) return status;
    if (!isfinite(dvariance)) return SMOE_EDOM;
    const double square = how->sigma * how->sigma;
    double da = dvariance * square / 2, db = da;                        /* (K.3'), of half the sum of two */
    if (how->median == SMOE_MEDIAN_DISTANCE) {
        const double median = (sqrt(m.a) + sqrt(m.b)) / 2;
        da = m.a == 0 ? 0 : da * median / sqrt(m.a);                    /* (K.3'), of the square of a mean of roots */
        db = m.b == 0 ? 0 : db * median / sqrt(m.b);
    }
    for (size_t k = 0; k < n * n; k++) dD[k] = 0;
    const size_t a = place_of_rank(how->diagonal, n, D, m.low, m.a),
                 b = place_of_rank(how->diagonal, n, D, m.high, m.b);
    dD[a] += da;
    dD[b] += db;
    return finite_or_overflow(n * n, dD);
}

/* --- K.4: the RBF kernel --- */

/*@ requires smoe_size(n*n) && \valid_read(D + (0 .. n*n-1));
    assigns \nothing;
    ensures n == 0 ==> \result == SMOE_EINVAL;
    ensures n > 0 && 0 < variance && smoe_finite(variance) && smoe_distances(D, n*n) ==> \result == SMOE_OK;
    ensures n > 0 && !(0 < variance && smoe_finite(variance) && smoe_distances(D, n*n)) ==> \result == SMOE_EDOM; */
static smoe_status check_rbf(size_t n, const double *D, double variance)
{
    if (n == 0) return SMOE_EINVAL;
    if (!positive(variance)) return SMOE_EDOM;
    /*@ loop invariant 0 <= k <= n*n && smoe_distances(D, k);
        loop assigns k; loop variant n*n - k; */
    for (size_t k = 0; k < n * n; k++)
        if (!(D[k] >= 0 && D[k] <= DBL_MAX)) return SMOE_EDOM;
    return SMOE_OK;
}

/*@ requires \valid_read(D + (0 .. n-1)) && \valid(to + (0 .. n-1)) && \separated(D + (0 .. n-1), to + (0 .. n-1));
    assigns to[0 .. n-1]; */
static void exponents(size_t n, const double *D, double variance, double *to)
{
    /*@ loop invariant 0 <= k <= n;
        loop assigns k, to[0 .. n-1]; loop variant n - k; */
    for (size_t k = 0; k < n; k++) to[k] = -(D[k] / (2 * variance));
}

/*@ requires smoe_size(n*n) && \valid_read(D + (0 .. n*n-1)) && \valid(K + (0 .. n*n-1));
    requires \separated(D + (0 .. n*n-1), K + (0 .. n*n-1));
    assigns K[0 .. n*n-1]; */
static void rbf(size_t n, const double *D, double variance, double *K)
{
    /*@ loop invariant 0 <= i <= n;
        loop assigns i, K[0 .. n*n-1]; loop variant n - i; */
    for (size_t i = 0; i < n; i++) {
        /*@ assert i*n + n <= n*n; */
        exponents(n, D + i * n, variance, K + i * n);
        smoe_exp_many(n, K + i * n, K + i * n);                         /* (K.4) */
    }
}

smoe_status smoe_gram_rbf(size_t n, const double *D, double variance, double *K)
{
    const smoe_status status = check_rbf(n, D, variance);
    if (status == SMOE_OK) rbf(n, D, variance, K);
    return status;
}

/*@ requires smoe_size(n*n) && \valid_read(D + (0 .. n*n-1)) && \valid(K + (0 .. n*n-1));
    requires \separated(D + (0 .. n*n-1), K + (0 .. n*n-1));
    assigns K[0 .. n*n-1]; */
static void rbf_less_one(size_t n, const double *D, double variance, double *K)
{
    /*@ loop invariant 0 <= i <= n;
        loop assigns i, K[0 .. n*n-1]; loop variant n - i; */
    for (size_t i = 0; i < n; i++) {
        /*@ assert i*n + n <= n*n; */
        exponents(n, D + i * n, variance, K + i * n);
        smoe_expm1_many(n, K + i * n, K + i * n);                       /* (K.4), less one */
    }
}

smoe_status smoe_gram_rbf_less_one(size_t n, const double *D, double variance, double *K)
{
    const smoe_status status = check_rbf(n, D, variance);
    if (status == SMOE_OK) rbf_less_one(n, D, variance, K);
    return status;
}

/* Are any two samples so far apart that K_ij is below 1/2, and thus nearer to 0 than to 1? */
/*@ requires smoe_size(n*n) && \valid_read(D + (0 .. n*n-1)) && variance > 0;
    assigns \nothing; */
static bool all_far(size_t n, const double *D, double variance)
{
    const double ln2 = 0x1.62e42fefa39efp-1;
    /*@ loop invariant 0 <= i <= n;
        loop assigns i; loop variant n - i; */
    for (size_t i = 0; i < n; i++) {
        /*@ assert i*n + n <= n*n; */
        /*@ loop invariant 0 <= j <= n;
            loop assigns j; loop variant n - j; */
        for (size_t j = 0; j < n; j++)
            if (i != j && !(D[i * n + j] / (2 * variance) > ln2)) return false;
    }
    return true;
}

smoe_status smoe_gram_rbf_to_u_centre(size_t n, const double *D, double variance, double *K)
{
    const smoe_status status = check_rbf(n, D, variance);
    if (status != SMOE_OK) return status;
    if (all_far(n, D, variance))
        rbf(n, D, variance, K);
    else
        rbf_less_one(n, D, variance, K);
    return SMOE_OK;
}

/*@ requires n > 0 && variance > 0 && smoe_size(n*n) && \valid_read(D + (0 .. n*n-1)) && \valid_read(dK + (0 .. n*n-1));
    requires \valid(dD + (0 .. n*n-1)) && \valid(dvariance);
    requires \separated(D + (0 .. n*n-1), dD + (0 .. n*n-1), dvariance);
    requires \separated(dK + (0 .. n*n-1), dD + (0 .. n*n-1), dvariance);
    assigns dD[0 .. n*n-1], *dvariance;
    ensures \result == SMOE_OK || \result == SMOE_EOVRFLW; */
static smoe_status gram_rbf_vjp(size_t n, const double *D, double variance, const double *dK, double *dD,
                                double *dvariance)
{
    double sum = 0;
    /*@ loop invariant 0 <= i <= n;
        loop assigns i, sum, dD[0 .. n*n-1]; loop variant n - i; */
    for (size_t i = 0; i < n; i++) {
        //@ ghost row_is_inside(i, n, n);
        double *weight = dD + i * n; /* holds dK k until the last line */
        exponents(n, D + i * n, variance, weight);
        smoe_exp_many(n, weight, weight);
        /*@ loop invariant 0 <= j <= n;
            loop assigns j, weight[0 .. n-1]; loop variant n - j; */
        for (size_t j = 0; j < n; j++) weight[j] *= dK[i * n + j];
        sum += smoe_dot(n, weight, D + i * n);
        /*@ loop invariant 0 <= j <= n;
            loop assigns j, weight[0 .. n-1]; loop variant n - j; */
        for (size_t j = 0; j < n; j++) weight[j] = -(weight[j] / (2 * variance)); /* (K.4') */
    }
    *dvariance = sum / (2 * variance) / variance;                       /* (K.4') */
    return isfinite(*dvariance) ? finite_or_overflow(n * n, dD) : SMOE_EOVRFLW;
}

smoe_status smoe_gram_rbf_vjp(size_t n, const double *D, double variance, const double *dK, double *dD,
                              double *dvariance)
{
    const smoe_status status = check_rbf(n, D, variance);
    if (status != SMOE_OK) return status;
    if (!smoe_all_finite(n * n, dK)) return SMOE_EDOM;
    return gram_rbf_vjp(n, D, variance, dK, dD, dvariance);
}

/* --- K.5: centring --- */

/* The mean of column k of x less its first row. */
/*@ requires n > 0 && k < p && smoe_size(n*p) && \valid_read(x + (0 .. n*p-1));
    assigns \nothing; */
static double mean_from_first(size_t n, size_t p, const double *x, size_t k)
{
    double sum = 0;
    /*@ loop invariant 0 <= i <= n;
        loop assigns i, sum; loop variant n - i; */
    for (size_t i = 0; i < n; i++) {
        /*@ assert i*p + p <= n*p; */
        sum += x[i * p + k] - x[k];
    }
    return sum / (double)n;
}

smoe_status smoe_centre_features(size_t n, size_t p, const double *x, double *xc)
{
    if (n == 0 || p == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(n * p, x)) return SMOE_EDOM;
    /*@ loop invariant 0 <= k <= p;
        loop assigns k, xc[0 .. n*p-1]; loop variant p - k; */
    for (size_t k = 0; k < p; k++) {
        const double mean = mean_from_first(n, p, x, k);
        /*@ loop invariant 0 <= i <= n;
            loop assigns i, xc[0 .. n*p-1]; loop variant n - i; */
        for (size_t i = 0; i < n; i++) {
            /*@ assert i*p + p <= n*p; */
            xc[i * p + k] = x[i * p + k] - x[k] - mean;                 /* (K.5), H x */
        }
    }
    return finite_or_overflow(n * p, xc);
}

/*@ requires n > 0 && smoe_size(n*n) && \valid_read(K + (0 .. n*n-1)) && \valid(C + (0 .. n*n-1));
    requires \separated(K + (0 .. n*n-1), C + (0 .. n*n-1));
    assigns C[0 .. n*n-1];
    ensures \result == SMOE_OK || \result == SMOE_EOVRFLW; */
static smoe_status centre(size_t n, const double *K, double *C)
{
    /*@ loop invariant 0 <= i <= n;
        loop assigns i, C[0 .. n*n-1]; loop variant n - i; */
    for (size_t i = 0; i < n; i++) {
        //@ ghost row_is_inside(i, n, n);
        const double mean = smoe_sum(n, K + i * n) / (double)n;
        /*@ loop invariant 0 <= j <= n;
            loop assigns j, C[0 .. n*n-1]; loop variant n - j; */
        for (size_t j = 0; j < n; j++) C[i * n + j] = K[i * n + j] - mean; /* (K.5), K H */
    }
    /*@ loop invariant 0 <= first <= n + WIDE;
        loop assigns first, C[0 .. n*n-1]; loop variant n - first; */
    for (size_t first = 0; first < n; first += WIDE) { /* columns, a block at a time */
        double mean[WIDE] = {0};
        const size_t columns = least(WIDE, n - first);
        /*@ loop invariant 0 <= i <= n;
            loop assigns i, mean[0 .. columns-1]; loop variant n - i; */
        for (size_t i = 0; i < n; i++)
            //@ ghost row_is_inside(i, n, n);
            /*@ loop invariant 0 <= j <= columns;
                loop assigns j, mean[0 .. columns-1]; loop variant columns - j; */
            for (size_t j = 0; j < columns; j++) mean[j] += C[i * n + first + j];
        /*@ loop invariant 0 <= j <= columns;
            loop assigns j, mean[0 .. columns-1]; loop variant columns - j; */
        for (size_t j = 0; j < columns; j++) mean[j] /= (double)n;
        /*@ loop invariant 0 <= i <= n;
            loop assigns i, C[0 .. n*n-1]; loop variant n - i; */
        for (size_t i = 0; i < n; i++) {
            //@ ghost row_is_inside(i, n, n);
            double *row = C + i * n + first;
            /*@ loop invariant 0 <= j <= columns;
                loop assigns j, row[0 .. columns-1]; loop variant columns - j; */
            for (size_t j = 0; j < columns; j++) row[j] -= mean[j];     /* (K.5), H (K H) */
            if (!smoe_all_finite(columns, row)) return SMOE_EOVRFLW;
        }
    }
    return SMOE_OK;
}

smoe_status smoe_centre(size_t n, const double *K, double *C)
{
    if (n == 0) return SMOE_EINVAL;
    return smoe_all_finite(n * n, K) ? centre(n, K, C) : SMOE_EDOM;
}

smoe_status smoe_centre_definition(size_t n, const double *K, double *work, double *C)
{
    if (n == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(n * n, K)) return SMOE_EDOM;
    double *H = work, *KH = work + n * n;
    /*@ loop invariant 0 <= i <= n;
        loop assigns i, H[0 .. n*n-1]; loop variant n - i; */
    for (size_t i = 0; i < n; i++)
        //@ ghost row_is_inside(i, n, n);
        /*@ loop invariant 0 <= j <= n;
            loop assigns j, H[0 .. n*n-1]; loop variant n - j; */
        for (size_t j = 0; j < n; j++) H[i * n + j] = (i == j ? 1.0 : 0.0) - 1.0 / (double)n;
    smoe_matmul_nn(n, n, n, K, H, KH);
    smoe_matmul_nn(n, n, n, H, KH, C);                                  /* (K.5), by definition */
    return finite_or_overflow(n * n, C);
}

/* --- K.6: the biased HSIC --- */

/*@ assigns \nothing; */
static bool is_divisor(smoe_hsic_divisor divide)
{
    return divide == SMOE_DIVIDE_N_LESS_1 || divide == SMOE_DIVIDE_N || divide == SMOE_DIVIDE_NONE;
}

/*@ assigns \nothing; */
static double biased_divisor(smoe_hsic_divisor divide, size_t n)
{
    const double m = divide == SMOE_DIVIDE_N_LESS_1 ? (double)(n - 1) : divide == SMOE_DIVIDE_N ? (double)n : 1.0;
    return m * m;
}

/* <A, B> / divisor, of centred or U-centred matrices: a chain for each row, then the sum of the rows. */
/*@ requires smoe_size(n*n) && \valid_read(A + (0 .. n*n-1)) && \valid_read(B + (0 .. n*n-1)) && \valid(hsic);
    assigns *hsic;
    ensures \result == SMOE_OK || \result == SMOE_EOVRFLW; */
static smoe_status inner_product_over(size_t n, const double *A, const double *B, double divisor, double *hsic)
{
    double sum = 0;
    /*@ loop invariant 0 <= i <= n;
        loop assigns i, sum; loop variant n - i; */
    for (size_t i = 0; i < n; i++) {
        /*@ assert i*n + n <= n*n; */
        sum += smoe_dot(n, A + i * n, B + i * n);
    }
    *hsic = sum / divisor;                                              /* (K.6), (K.8) */
    return finite_or_overflow(1, hsic);
}

/*@ requires \valid(A + (0 .. n-1));
    assigns A[0 .. n-1];
    ensures \result == SMOE_OK || \result == SMOE_EOVRFLW; */
static smoe_status scale(size_t n, double by, double *A)
{
    /*@ loop invariant 0 <= k <= n;
        loop assigns k, A[0 .. n-1]; loop variant n - k; */
    for (size_t k = 0; k < n; k++) A[k] *= by;
    return finite_or_overflow(n, A);
}

smoe_status smoe_hsic_biased(size_t n, const double *K, const double *L, smoe_hsic_divisor divide, double *work,
                             double *hsic)
{
    if (n < 2 || !is_divisor(divide)) return SMOE_EINVAL;
    if (!smoe_all_finite(n * n, K) || !smoe_all_finite(n * n, L)) return SMOE_EDOM;
    smoe_status status = smoe_centre(n, K, work);
    if (status == SMOE_OK) status = smoe_centre(n, L, work + n * n);
    if (status == SMOE_OK) status = inner_product_over(n, work, work + n * n, biased_divisor(divide, n), hsic);
    return status;
}

smoe_status smoe_hsic_biased_vjp(size_t n, const double *K, const double *L, smoe_hsic_divisor divide, double dhsic,
                                 double *dK, double *dL)
{
    if (n < 2 || !is_divisor(divide)) return SMOE_EINVAL;
    if (!smoe_all_finite(n * n, K) || !smoe_all_finite(n * n, L) || !isfinite(dhsic)) return SMOE_EDOM;
    const double by = dhsic / biased_divisor(divide, n);
    smoe_status status = smoe_centre(n, L, dK);
    if (status == SMOE_OK) status = scale(n * n, by, dK);               /* (K.6') */
    if (status == SMOE_OK) status = smoe_centre(n, K, dL);
    if (status == SMOE_OK) status = scale(n * n, by, dL);               /* (K.6') */
    return status;
}

/* --- K.7, K.8: U-centring and the unbiased HSIC --- */

/* Row sums and column sums of K without its diagonal. */
/*@ requires smoe_size(n*n) && \valid_read(K + (0 .. n*n-1)) && \valid(rows + (0 .. n-1)) && \valid(columns + (0 .. n-1));
    requires \separated(K + (0 .. n*n-1), rows + (0 .. n-1), columns + (0 .. n-1));
    assigns rows[0 .. n-1], columns[0 .. n-1]; */
static void sums_off_diagonal(size_t n, const double *K, double *rows, double *columns)
{
    /*@ loop invariant 0 <= i <= n;
        loop assigns i, rows[0 .. n-1], columns[0 .. n-1]; loop variant n - i; */
    for (size_t i = 0; i < n; i++) rows[i] = columns[i] = 0;
    /*@ loop invariant 0 <= i <= n;
        loop assigns i, rows[0 .. n-1], columns[0 .. n-1]; loop variant n - i; */
    for (size_t i = 0; i < n; i++) {
        /*@ assert i*n + n <= n*n; */
        /*@ loop invariant 0 <= j <= n;
            loop assigns j, rows[0 .. n-1], columns[0 .. n-1]; loop variant n - j; */
        for (size_t j = 0; j < n; j++)
            if (i != j) {
                rows[i] += K[i * n + j];
                columns[j] += K[i * n + j];
            }
    }
}

smoe_status smoe_u_centre(size_t n, const double *K, double *sums, double *U)
{
    if (n < 3) return SMOE_EINVAL;
    if (!smoe_all_finite(n * n, K)) return SMOE_EDOM;
    double *rows = sums, *columns = sums + n;
    sums_off_diagonal(n, K, rows, columns);
    const double all = smoe_sum(n, rows) / (double)(n - 1) / (double)(n - 2);
    /*@ loop invariant 0 <= i <= n;
        loop assigns i, U[0 .. n*n-1]; loop variant n - i; */
    for (size_t i = 0; i < n; i++) {
        /*@ assert i*n + n <= n*n; */
        /*@ loop invariant 0 <= j <= n;
            loop assigns j, U[0 .. n*n-1]; loop variant n - j; */
        for (size_t j = 0; j < n; j++) {
            const double means = (rows[i] + columns[j]) / (double)(n - 2);
            U[i * n + j] = i == j ? 0 : K[i * n + j] - means + all;     /* (K.7) */
        }
    }
    return finite_or_overflow(n * n, U);
}

/*@ assigns \nothing; */
static double unbiased_divisor(size_t n) { return (double)n * (double)(n - 3); }

smoe_status smoe_hsic_unbiased(size_t n, const double *K, const double *L, double *hsic)
{
    if (n < 4) return SMOE_EINVAL;
    if (!smoe_all_finite(n * n, K) || !smoe_all_finite(n * n, L)) return SMOE_EDOM;
    double trace = 0, all_k = 0, all_l = 0, cross = 0;
    /*@ loop invariant 0 <= i <= n;
        loop assigns i, trace, all_k, all_l, cross; loop variant n - i; */
    for (size_t i = 0; i < n; i++) {
        /*@ assert i*n + n <= n*n; */
        double row_kl = 0, row_k = 0, row_l = 0;
        /*@ loop invariant 0 <= j <= n;
            loop assigns j, row_kl, row_k, row_l; loop variant n - j; */
        for (size_t j = 0; j < n; j++)
            if (i != j) {
                row_kl = fma(K[i * n + j], L[i * n + j], row_kl);
                row_k += K[i * n + j];
                row_l += L[i * n + j];
            }
        trace += row_kl;
        all_k += row_k;
        all_l += row_l;
        cross = fma(row_k, row_l, cross);
    }
    const double sum = trace + all_k * all_l / (double)(n - 1) / (double)(n - 2) - 2 * cross / (double)(n - 2);
    *hsic = sum / unbiased_divisor(n);                                  /* (K.8) */
    return finite_or_overflow(1, hsic);
}

smoe_status smoe_hsic_debiased(size_t n, const double *K, const double *L, double *work, double *hsic)
{
    if (n < 4) return SMOE_EINVAL;
    if (!smoe_all_finite(n * n, K) || !smoe_all_finite(n * n, L)) return SMOE_EDOM;
    double *sums = work + 2 * n * n;
    smoe_status status = smoe_u_centre(n, K, sums, work);
    if (status == SMOE_OK) status = smoe_u_centre(n, L, sums, work + n * n);
    if (status == SMOE_OK) status = inner_product_over(n, work, work + n * n, unbiased_divisor(n), hsic);
    return status;
}

smoe_status smoe_hsic_unbiased_vjp(size_t n, const double *K, const double *L, double dhsic, double *sums, double *dK,
                                   double *dL)
{
    if (n < 4) return SMOE_EINVAL;
    if (!smoe_all_finite(n * n, K) || !smoe_all_finite(n * n, L) || !isfinite(dhsic)) return SMOE_EDOM;
    const double by = dhsic / unbiased_divisor(n);
    smoe_status status = smoe_u_centre(n, L, sums, dK);
    if (status == SMOE_OK) status = scale(n * n, by, dK);               /* (K.8') */
    if (status == SMOE_OK) status = smoe_u_centre(n, K, sums, dL);
    if (status == SMOE_OK) status = scale(n * n, by, dL);               /* (K.8') */
    return status;
}

/* --- K.9: the ratio --- */

/* sqrt(a b) for a, b > 0, without overflow of a b on the way; a itself if b is a. */
/*@ assigns \nothing; */
static double root_of_product(double a, double b)
{
    int e, f;
    double product = frexp(a, &e) * frexp(b, &f);
    e += f;
    if (e % 2 != 0) {
        product *= 2;
        e--;
    }
    return ldexp(sqrt(product), e / 2);
}

/*@ assigns \nothing;
    ensures \result == SMOE_OK <==> smoe_finite(h_xy) && 0 < h_xx && smoe_finite(h_xx) && 0 < h_yy && smoe_finite(h_yy);
    ensures \result == SMOE_OK || \result == SMOE_EDOM; */
static smoe_status check_ratio(double h_xy, double h_xx, double h_yy)
{
    return finite_number(h_xy) && positive(h_xx) && positive(h_yy) ? SMOE_OK : SMOE_EDOM;
}

smoe_status smoe_cka_ratio(double h_xy, double h_xx, double h_yy, double *cka)
{
    const smoe_status status = check_ratio(h_xy, h_xx, h_yy);
    if (status != SMOE_OK) return status;
    *cka = h_xy / root_of_product(h_xx, h_yy);                          /* (K.9) */
    return finite_or_overflow(1, cka);
}

smoe_status smoe_cka_ratio_vjp(double h_xy, double h_xx, double h_yy, double dcka, double *dh_xy, double *dh_xx,
                               double *dh_yy)
{
    const smoe_status status = check_ratio(h_xy, h_xx, h_yy);
    if (status != SMOE_OK) return status;
    if (!isfinite(dcka)) return SMOE_EDOM;
    const double root = root_of_product(h_xx, h_yy), half = dcka * (h_xy / root) / 2;
    *dh_xy = dcka / root;                                               /* (K.9') */
    *dh_xx = -(half / h_xx);                                            /* (K.9') */
    *dh_yy = -(half / h_yy);                                            /* (K.9') */
    return isfinite(*dh_xy) && isfinite(*dh_xx) && isfinite(*dh_yy) ? SMOE_OK : SMOE_EOVRFLW;
}

/* --- K.10, K.11: moments --- */

/*@ requires \valid(x + (0 .. n-1));
    assigns x[0 .. n-1]; */
static void clear(size_t n, double *x)
{
    /*@ loop invariant 0 <= k <= n;
        loop assigns k, x[0 .. n-1]; loop variant n - k; */
    for (size_t k = 0; k < n; k++) x[k] = 0;
}

void smoe_moments_start(smoe_moments *m)
{
    m->n = 0;
    m->xx = m->yy = m->xxyy = 0;
    clear(m->p, m->sx);
    clear(m->q, m->sy);
    clear(m->p * m->q, m->c);
    clear(m->p, m->xyy);
    clear(m->q, m->yxx);
}

/* One row, already shifted, into all sums but c. */
static void add_row(smoe_moments *m, const double *x, const double *y)
{
    const double xx = smoe_dot(m->p, x, x), yy = smoe_dot(m->q, y, y);
    for (size_t a = 0; a < m->p; a++) m->sx[a] += x[a];                 /* (K.10) */
    for (size_t b = 0; b < m->q; b++) m->sy[b] += y[b];                 /* (K.10) */
    smoe_axpy(m->p, yy, x, m->xyy);                                     /* (K.10) */
    smoe_axpy(m->q, xx, y, m->yxx);                                     /* (K.10) */
    m->xx += xx;                                                        /* (K.10) */
    m->yy += yy;                                                        /* (K.10) */
    m->xxyy = fma(xx, yy, m->xxyy);                                     /* (K.10) */
}

static void take_off(size_t rows, size_t p, const double *x, const double *shift, double *out)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t k = 0; k < p; k++) out[i * p + k] = x[i * p + k] - shift[k];
}

static smoe_status moments_finite(const smoe_moments *m)
{
    const bool fine = smoe_all_finite(m->p, m->sx) && smoe_all_finite(m->q, m->sy) &&
                      smoe_all_finite(m->p * m->q, m->c) && smoe_all_finite(m->p, m->xyy) &&
                      smoe_all_finite(m->q, m->yxx) && isfinite(m->xx) && isfinite(m->yy) && isfinite(m->xxyy);
    return fine ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_moments_add(smoe_moments *m, size_t rows, const double *x, const double *y, const double *shift_x,
                             const double *shift_y, double *work)
{
    const size_t p = m->p, q = m->q;
    if (p == 0 || q == 0 || (shift_x == NULL) != (shift_y == NULL)) return SMOE_EINVAL;
    if (!smoe_all_finite(rows * p, x) || !smoe_all_finite(rows * q, y)) return SMOE_EDOM;
    if (shift_x != NULL) {
        if (!smoe_all_finite(p, shift_x) || !smoe_all_finite(q, shift_y)) return SMOE_EDOM;
        take_off(rows, p, x, shift_x, work);
        take_off(rows, q, y, shift_y, work + rows * p);
        x = work;
        y = work + rows * p;
    }
    for (size_t i = 0; i < rows; i++) add_row(m, x + i * p, y + i * q);
    smoe_matmul_tn_acc(p, q, rows, x, y, m->c);                         /* (K.10) */
    m->n += rows;
    return moments_finite(m);
}

/*@ requires \valid_read(m);
    assigns \nothing;
    ensures \result ==> m->p > 0 && m->q > 0 && m->n >= 2;
    ensures \result && estimator != SMOE_HSIC_BIASED ==> m->n >= 4; */
static bool moments_make_sense(const smoe_moments *m, smoe_estimator estimator, smoe_hsic_divisor divide)
{
    if (m->p == 0 || m->q == 0) return false;
    if (estimator == SMOE_HSIC_BIASED) return m->n >= 2 && is_divisor(divide);
    return m->n >= 4 && (estimator == SMOE_HSIC_UNBIASED || estimator == SMOE_HSIC_DEBIASED);
}

/* Element (a,b) of the centred cross product  c - sx sy^T / n. */
/*@ requires \valid_read(m) && m->n > 0 && smoe_size(m->p*m->q);
    requires \valid_read(m->sx + (0 .. m->p-1)) && \valid_read(m->sy + (0 .. m->q-1));
    requires \valid_read(m->c + (0 .. m->p*m->q-1));
    requires a < m->p && b < m->q;
    assigns \nothing; */
static double centred_product(const smoe_moments *m, size_t a, size_t b)
{
    /*@ assert a*m->q + m->q <= m->p*m->q; */
    return fma(-m->sx[a], m->sy[b] / (double)m->n, m->c[a * m->q + b]);
}

/*@ requires \valid_read(m) && m->n > 0 && smoe_size(m->p*m->q);
    requires \valid_read(m->sx + (0 .. m->p-1)) && \valid_read(m->sy + (0 .. m->q-1));
    requires \valid_read(m->c + (0 .. m->p*m->q-1));
    assigns \nothing; */
static double biased_from_moments(const smoe_moments *m, smoe_hsic_divisor divide)
{
    double sum = 0;
    /*@ loop invariant 0 <= a <= m->p;
        loop assigns a, sum; loop variant m->p - a; */
    for (size_t a = 0; a < m->p; a++)
        /*@ loop invariant 0 <= b <= m->q;
            loop assigns b, sum; loop variant m->q - b; */
        for (size_t b = 0; b < m->q; b++) {
            const double element = centred_product(m, a, b);
            sum = fma(element, element, sum);
        }
    return sum / biased_divisor(divide, m->n);                          /* (K.11), biased */
}

/*@ requires \valid_read(m) && m->n > 0 && smoe_size(m->p*m->q);
    requires \valid_read(m->sx + (0 .. m->p-1)) && \valid_read(m->sy + (0 .. m->q-1));
    requires \valid_read(m->c + (0 .. m->p*m->q-1));
    requires m->n >= 4 && \valid_read(m->xyy + (0 .. m->p-1)) && \valid_read(m->yxx + (0 .. m->q-1));
    requires \valid(csy + (0 .. m->p-1)) && \separated(csy + (0 .. m->p-1), m);
    requires \separated(csy + (0 .. m->p-1), m->c + (0 .. m->p*m->q-1)) && \separated(csy + (0 .. m->p-1), m->sy + (0 .. m->q-1));
    assigns csy[0 .. m->p-1]; */
static double unbiased_from_moments(const smoe_moments *m, double *csy)
{
    const size_t p = m->p, q = m->q, n = m->n;
    const double trace = smoe_dot(p * q, m->c, m->c) - m->xxyy;
    const double all_k = smoe_dot(p, m->sx, m->sx) - m->xx, all_l = smoe_dot(q, m->sy, m->sy) - m->yy;
    smoe_matmul_nt(p, 1, q, m->c, m->sy, csy);
    const double ends = smoe_dot(p, m->sx, m->xyy) + smoe_dot(q, m->yxx, m->sy);
    const double cross = smoe_dot(p, m->sx, csy) - ends + m->xxyy;
    const double sum = trace + all_k * all_l / (double)(n - 1) / (double)(n - 2) - 2 * cross / (double)(n - 2);
    return sum / unbiased_divisor(n);                                   /* (K.11), unbiased */
}

smoe_status smoe_hsic_moments(const smoe_moments *m, smoe_estimator estimator, smoe_hsic_divisor divide, double *work,
                              double *hsic)
{
    if (!moments_make_sense(m, estimator, divide)) return SMOE_EINVAL;
    *hsic = estimator == SMOE_HSIC_BIASED ? biased_from_moments(m, divide) : unbiased_from_moments(m, work);
    return finite_or_overflow(1, hsic);
}

/* by (c - sx sy^T / n) (y_i - sy / n), twice: one row after the other. */
static void biased_rows_vjp(const smoe_moments *m, double by, size_t rows, const double *y, double *work, double *dx)
{
    const size_t p = m->p, q = m->q;
    double *M = work, *mean = work + p * q;
    for (size_t a = 0; a < p; a++)
        for (size_t b = 0; b < q; b++) M[a * q + b] = centred_product(m, a, b);
    smoe_matmul_nt(p, 1, q, M, m->sy, mean);
    smoe_matmul_nt(rows, p, q, y, M, dx);
    for (size_t i = 0; i < rows; i++)
        for (size_t a = 0; a < p; a++)
            dx[i * p + a] = 2 * by * (dx[i * p + a] - mean[a] / (double)m->n); /* (K.11'), biased */
}

/* Row i of U(L) x, times 2 by. */
static void unbiased_rows_vjp(const smoe_moments *m, double by, size_t rows, const double *x, const double *y,
                              double *work, double *dx)
{
    const size_t p = m->p, q = m->q, n = m->n;
    double *lx = work; /* [p]  sum_j (sum_{l != j} L_jl) x_j */
    smoe_matmul_nt(p, 1, q, m->c, m->sy, lx);
    for (size_t a = 0; a < p; a++) lx[a] -= m->xyy[a];
    const double all = (smoe_dot(q, m->sy, m->sy) - m->yy) / (double)(n - 1) / (double)(n - 2);
    smoe_matmul_nt(rows, p, q, y, m->c, dx);
    for (size_t i = 0; i < rows; i++) {
        const double *xi = x + i * p, *yi = y + i * q;
        const double yy = smoe_dot(q, yi, yi), row = smoe_dot(q, yi, m->sy) - yy;
        for (size_t a = 0; a < p; a++) {
            const double others = m->sx[a] - xi[a]; /* sum of the other rows */
            const double means = (row * others + (lx[a] - row * xi[a])) / (double)(n - 2);
            const double sum = dx[i * p + a] - yy * xi[a] - means + all * others;
            dx[i * p + a] = 2 * by * sum;                               /* (K.11'), unbiased */
        }
    }
}

smoe_status smoe_hsic_moments_vjp(const smoe_moments *m, smoe_estimator estimator, smoe_hsic_divisor divide,
                                  double dhsic, size_t rows, const double *x, const double *y, double *work, double *dx)
{
    if (!moments_make_sense(m, estimator, divide)) return SMOE_EINVAL;
    if (!smoe_all_finite(rows * m->p, x) || !smoe_all_finite(rows * m->q, y) || !isfinite(dhsic)) return SMOE_EDOM;
    if (estimator == SMOE_HSIC_BIASED)
        biased_rows_vjp(m, dhsic / biased_divisor(divide, m->n), rows, y, work, dx);
    else
        unbiased_rows_vjp(m, dhsic / unbiased_divisor(m->n), rows, x, y, work, dx);
    return finite_or_overflow(rows * m->p, dx);
}

/* --- Gram matrices as `how` says --- */

static bool kernel_makes_sense(const smoe_similarity *how)
{
    if (how->kernel == SMOE_KERNEL_LINEAR) return true;
    if (how->kernel != SMOE_KERNEL_RBF) return false;
    if (how->bandwidth == SMOE_BANDWIDTH_ABSOLUTE) return true;
    return how->bandwidth == SMOE_BANDWIDTH_MEDIAN &&
           (how->diagonal == SMOE_DIAGONAL_WITH || how->diagonal == SMOE_DIAGONAL_WITHOUT) &&
           (how->middle == SMOE_MIDDLE_MEAN || how->middle == SMOE_MIDDLE_LOWER) &&
           (how->median == SMOE_MEDIAN_DISTANCE || how->median == SMOE_MEDIAN_SQUARE);
}

static smoe_status check_one(const smoe_similarity *how, size_t n, size_t p, const double *x)
{
    if (n == 0 || p == 0 || !kernel_makes_sense(how)) return SMOE_EINVAL;
    if (how->kernel == SMOE_KERNEL_RBF && !positive(how->sigma)) return SMOE_EDOM;
    return smoe_all_finite(n * p, x) ? SMOE_OK : SMOE_EDOM;
}

/* (K.2) and (K.3) */
static smoe_status distances_and_bandwidth(const smoe_similarity *how, size_t n, size_t p, const double *x, double *D,
                                           double *variance)
{
    const smoe_status status = smoe_squared_distances(n, p, x, D);
    if (status != SMOE_OK) return status;
    return how->bandwidth == SMOE_BANDWIDTH_ABSOLUTE ? smoe_bandwidth_absolute(how->sigma, variance)
                                                     : smoe_bandwidth_median(how, n, D, variance);
}

/* From dK back to x, with D and variance of the forward; dD [n,n] and one more [n,n] are workspace. */
static smoe_status rbf_vjp(const smoe_similarity *how, size_t n, size_t p, const double *x, const double *D,
                           double variance, const double *dK, double *dD, double *more, double *dx)
{
    double dvariance;
    smoe_status status = gram_rbf_vjp(n, D, variance, dK, dD, &dvariance);
    if (status == SMOE_OK && how->bandwidth == SMOE_BANDWIDTH_MEDIAN && !how->detach) {
        status = smoe_bandwidth_median_vjp(how, n, D, dvariance, more);
        for (size_t k = 0; k < n * n; k++) dD[k] += more[k];
    }
    return status == SMOE_OK ? distances_vjp(n, p, x, dD, dx) : status;
}

size_t smoe_gram_work(size_t n, size_t p) { return 4 * n * n + n * p; }

smoe_status smoe_gram(const smoe_similarity *how, size_t n, size_t p, const double *x, double *work, double *K,
                      double *variance)
{
    smoe_status status = check_one(how, n, p, x);
    if (status != SMOE_OK) return status;
    double found = 0;
    if (how->kernel == SMOE_KERNEL_RBF) status = distances_and_bandwidth(how, n, p, x, work, &found);
    if (status != SMOE_OK) return status;
    *variance = found;
    return how->kernel == SMOE_KERNEL_LINEAR ? smoe_gram_linear(n, p, x, K) : smoe_gram_rbf(n, work, found, K);
}

smoe_status smoe_gram_vjp(const smoe_similarity *how, size_t n, size_t p, const double *x, const double *dK,
                          double *work, double *dx)
{
    smoe_status status = check_one(how, n, p, x);
    if (status != SMOE_OK) return status;
    if (!smoe_all_finite(n * n, dK)) return SMOE_EDOM;
    if (how->kernel == SMOE_KERNEL_LINEAR) return smoe_gram_linear_vjp(n, p, x, dK, dx);
    double variance;
    status = distances_and_bandwidth(how, n, p, x, work, &variance);
    if (status != SMOE_OK) return status;
    return rbf_vjp(how, n, p, x, work, variance, dK, work + n * n, work + 2 * n * n, dx);
}

/* A Gram matrix to be centred as the estimator has it: of centred features, or less one where that has more digits.  xc and D
 * are what its gradient needs. */
static smoe_status gram_to_centre(const smoe_similarity *how, smoe_estimator estimator, size_t n, size_t p,
                                  const double *x, double *xc, double *D, double *K, double *variance)
{
    smoe_status status;
    *variance = 0;
    if (how->kernel == SMOE_KERNEL_LINEAR) {
        status = smoe_centre_features(n, p, x, xc);
        return status == SMOE_OK ? smoe_gram_linear(n, p, xc, K) : status;
    }
    status = distances_and_bandwidth(how, n, p, x, D, variance);
    if (status != SMOE_OK) return status;
    return (estimator == SMOE_HSIC_BIASED ? smoe_gram_rbf_less_one : smoe_gram_rbf_to_u_centre)(n, D, *variance, K);
}

smoe_status smoe_gram_centred(const smoe_similarity *how, size_t n, size_t p, const double *x, double *work, double *K,
                              double *variance)
{
    smoe_status status = check_one(how, n, p, x);
    if (status != SMOE_OK) return status;
    double found, *D = work, *raw = work + n * n, *xc = work + 4 * n * n;
    status = gram_to_centre(how, SMOE_HSIC_BIASED, n, p, x, xc, D, raw, &found);
    if (status != SMOE_OK) return status;
    *variance = found;
    return smoe_centre(n, raw, K);
}

smoe_status smoe_gram_centred_vjp(const smoe_similarity *how, size_t n, size_t p, const double *x, const double *dK,
                                  double *work, double *dx)
{
    smoe_status status = check_one(how, n, p, x);
    if (status != SMOE_OK) return status;
    if (!smoe_all_finite(n * n, dK)) return SMOE_EDOM;
    double *raw = work, *D = work + n * n, *dD = work + 2 * n * n, *more = work + 3 * n * n, *xc = work + 4 * n * n;
    status = smoe_centre(n, dK, raw);                                   /* (K.5'): H dK H */
    if (status != SMOE_OK) return status;
    if (how->kernel == SMOE_KERNEL_LINEAR) {
        status = smoe_centre_features(n, p, x, xc);
        return status == SMOE_OK ? smoe_gram_linear_vjp(n, p, xc, raw, dx) : status;
    }
    double variance;
    status = distances_and_bandwidth(how, n, p, x, D, &variance);
    return status == SMOE_OK ? rbf_vjp(how, n, p, x, D, variance, raw, dD, more, dx) : status;
}

/* --- HSIC and CKA by Gram matrices --- */

/* A representation on its way: its distances, Gram matrix, that centred as the estimator has it, and centred features. */
typedef struct {
    size_t p;
    const double *x;
    double *xc, *D, *K, *A, variance;
} gram_side;

typedef struct {
    double xy, xx, yy;
} three;

static smoe_status prepare(const smoe_similarity *how, size_t n, double *sums, gram_side *s)
{
    const smoe_status status =
        gram_to_centre(how, how->estimator, n, s->p, s->x, s->xc, s->D, s->K, &s->variance);
    if (status != SMOE_OK) return status;
    return how->estimator == SMOE_HSIC_BIASED ? centre(n, s->K, s->A) : smoe_u_centre(n, s->K, sums, s->A);
}

static double divisor_of(const smoe_similarity *how, size_t n)
{
    return how->estimator == SMOE_HSIC_BIASED ? biased_divisor(how->divide, n) : unbiased_divisor(n);
}

static smoe_status hsic_of_sides(const smoe_similarity *how, size_t n, const gram_side *s, const gram_side *t,
                                 double *hsic)
{
    if (how->estimator == SMOE_HSIC_UNBIASED) return smoe_hsic_unbiased(n, s->K, t->K, hsic);
    return inner_product_over(n, s->A, t->A, divisor_of(how, n), hsic);
}

static void lay_out_sides(size_t n, size_t p, const double *x, size_t q, const double *y, double *work, gram_side *s,
                          gram_side *t)
{
    const size_t nn = n * n;
    *s = (gram_side){p, x, work + 8 * nn, work, work + nn, work + 2 * nn, 0};
    *t = (gram_side){q, y, work + 8 * nn + n * p, work + 3 * nn, work + 4 * nn, work + 5 * nn, 0};
}

/* dK of a side:  dh_xy B + 2 dh_xx A,  over the divisor.  Two products and a sum, so that equal sides cancel exactly. */
static smoe_status side_vjp(const smoe_similarity *how, size_t n, const gram_side *s, const gram_side *t, double dh_st,
                            double dh_ss, double *dK, double *dD, double *more, double *dx)
{
    const double b = dh_st / divisor_of(how, n), a = 2 * dh_ss / divisor_of(how, n);
    for (size_t k = 0; k < n * n; k++) dK[k] = b * t->A[k] + a * s->A[k]; /* (K.6'), (K.8') */
    smoe_status status = finite_or_overflow(n * n, dK);
    if (status != SMOE_OK) return status;
    if (how->kernel == SMOE_KERNEL_LINEAR) return smoe_gram_linear_vjp(n, s->p, s->xc, dK, dx);
    return rbf_vjp(how, n, s->p, s->x, s->D, s->variance, dK, dD, more, dx);
}

static smoe_status sides_vjp(const smoe_similarity *how, size_t n, const gram_side *s, const gram_side *t, three dh,
                             double *work, double *dx, double *dy)
{
    double *dK = work + 6 * n * n, *dD = work + 7 * n * n;
    smoe_status status = side_vjp(how, n, s, t, dh.xy, dh.xx, dK, dD, s->K, dx);
    if (status == SMOE_OK) status = side_vjp(how, n, t, s, dh.xy, dh.yy, dK, dD, t->K, dy);
    return status;
}

/* --- HSIC and CKA by features --- */

enum { BLOCK = 256 }; /* rows that are centred at a time; the bits do not depend on it */

typedef struct {
    size_t p;
    const double *x;
    double *mean, *block; /* [p] of x less its first row; [BLOCK,p] centred rows */
} feature_side;

static size_t moments_size(size_t p, size_t q) { return 2 * p + 2 * q + p * q; }

static void lay_out_moments(size_t p, size_t q, double *work, smoe_moments *m)
{
    *m = (smoe_moments){.p = p, .q = q, .sx = work, .sy = work + p, .xyy = work + p + q, .yxx = work + 2 * p + q,
                        .c = work + 2 * p + 2 * q};
    smoe_moments_start(m);
}

static smoe_status mean_of_side(size_t n, feature_side *s)
{
    for (size_t k = 0; k < s->p; k++) s->mean[k] = mean_from_first(n, s->p, s->x, k);
    return finite_or_overflow(s->p, s->mean);
}

static void centre_block(feature_side *s, size_t first, size_t rows)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t k = 0; k < s->p; k++)
            s->block[i * s->p + k] = s->x[(first + i) * s->p + k] - s->x[k] - s->mean[k]; /* (K.5), H x */
}

static size_t rows_of_block(size_t n, size_t first) { return n - first < BLOCK ? n - first : BLOCK; }

static smoe_status moments_of_sides(size_t n, feature_side *s, feature_side *t, smoe_moments *m)
{
    smoe_status status = SMOE_OK;
    for (size_t first = 0; first < n && status == SMOE_OK; first += BLOCK) {
        const size_t rows = rows_of_block(n, first);
        centre_block(s, first, rows);
        centre_block(t, first, rows);
        status = smoe_moments_add(m, rows, s->block, t->block, NULL, NULL, NULL);
        if (status == SMOE_EDOM) status = SMOE_EOVRFLW; /* of a difference */
    }
    return status;
}

/* The moments of (y, x) from those of (x, y); its c [q,p] is at `transposed`. */
static smoe_moments swapped(const smoe_moments *m, double *transposed)
{
    for (size_t a = 0; a < m->p; a++)
        for (size_t b = 0; b < m->q; b++) transposed[b * m->p + a] = m->c[a * m->q + b];
    return (smoe_moments){m->n, m->q, m->p, m->sy, m->sx, transposed, m->yxx, m->xyy, m->yy, m->xx, m->xxyy};
}

/* The gradient of one side: of its pair with the other, and of its pair with itself, both arguments of which it is. */
static smoe_status feature_side_vjp(const smoe_similarity *how, feature_side *s, feature_side *t, const smoe_moments *st,
                                    const smoe_moments *ss, double dh_st, double dh_ss, double *work, double *dx)
{
    const size_t n = st->n, p = s->p;
    double *own = work, *more = work + BLOCK * p;
    for (size_t first = 0; first < n; first += BLOCK) {
        const size_t rows = rows_of_block(n, first);
        centre_block(s, first, rows);
        centre_block(t, first, rows);
        smoe_status status = smoe_hsic_moments_vjp(st, how->estimator, how->divide, dh_st, rows, s->block, t->block,
                                                   more, dx + first * p);
        if (status == SMOE_OK)
            status = smoe_hsic_moments_vjp(ss, how->estimator, how->divide, 2 * dh_ss, rows, s->block, s->block, more,
                                           own);
        if (status != SMOE_OK) return status;
        for (size_t k = 0; k < rows * p; k++) dx[first * p + k] += own[k];
    }
    return finite_or_overflow(n * p, dx);
}

static size_t features_work(size_t p, size_t q)
{
    const size_t most = p > q ? p : q;
    const size_t sides = (BLOCK + 1) * (p + q), moments = moments_size(p, q) + moments_size(p, p) + moments_size(q, q);
    return sides + moments + p * q + BLOCK * most + most * most + most;
}

typedef struct {
    feature_side s, t;
    smoe_moments xy, xx, yy;
    double *rest; /* workspace that is left */
} feature_pair;

static smoe_status start_features(size_t n, size_t p, const double *x, size_t q, const double *y, double *work,
                                  feature_pair *f)
{
    f->s = (feature_side){p, x, work, work + p};
    work += (BLOCK + 1) * p;
    f->t = (feature_side){q, y, work, work + q};
    work += (BLOCK + 1) * q;
    lay_out_moments(p, q, work, &f->xy);
    work += moments_size(p, q);
    lay_out_moments(p, p, work, &f->xx);
    work += moments_size(p, p);
    lay_out_moments(q, q, work, &f->yy);
    f->rest = work + moments_size(q, q);
    smoe_status status = mean_of_side(n, &f->s);
    if (status == SMOE_OK) status = mean_of_side(n, &f->t);
    return status == SMOE_OK ? moments_of_sides(n, &f->s, &f->t, &f->xy) : status;
}

static smoe_status own_moments(size_t n, feature_pair *f)
{
    const smoe_status status = moments_of_sides(n, &f->s, &f->s, &f->xx);
    return status == SMOE_OK ? moments_of_sides(n, &f->t, &f->t, &f->yy) : status;
}

static smoe_status hsics_of_features(const smoe_similarity *how, feature_pair *f, three *h)
{
    smoe_status status = smoe_hsic_moments(&f->xy, how->estimator, how->divide, f->rest, &h->xy);
    if (status == SMOE_OK) status = smoe_hsic_moments(&f->xx, how->estimator, how->divide, f->rest, &h->xx);
    if (status == SMOE_OK) status = smoe_hsic_moments(&f->yy, how->estimator, how->divide, f->rest, &h->yy);
    return status;
}

static smoe_status features_vjp(const smoe_similarity *how, feature_pair *f, three dh, double *dx, double *dy)
{
    double *more = f->rest + f->xy.p * f->xy.q;
    const smoe_moments yx = swapped(&f->xy, f->rest);
    smoe_status status = feature_side_vjp(how, &f->s, &f->t, &f->xy, &f->xx, dh.xy, dh.xx, more, dx);
    if (status == SMOE_OK) status = feature_side_vjp(how, &f->t, &f->s, &yx, &f->yy, dh.xy, dh.yy, more, dy);
    return status;
}

/* --- HSIC and CKA, by either route --- */

static smoe_status check_pair(const smoe_similarity *how, size_t n, size_t p, const double *x, size_t q,
                              const double *y)
{
    const bool biased = how->estimator == SMOE_HSIC_BIASED, features = how->route == SMOE_ROUTE_FEATURES;
    if (!biased && how->estimator != SMOE_HSIC_UNBIASED && how->estimator != SMOE_HSIC_DEBIASED) return SMOE_EINVAL;
    if (n < (biased ? 2 : 4) || (biased && !is_divisor(how->divide))) return SMOE_EINVAL;
    if (!features && how->route != SMOE_ROUTE_GRAM) return SMOE_EINVAL;
    if (features && how->kernel != SMOE_KERNEL_LINEAR) return SMOE_EINVAL;
    const smoe_status one = check_one(how, n, p, x), other = check_one(how, n, q, y);
    return one == SMOE_EINVAL || other == SMOE_EINVAL ? SMOE_EINVAL : one != SMOE_OK ? one : other;
}

size_t smoe_hsic_work(const smoe_similarity *how, size_t n, size_t p, size_t q)
{
    if (how->route == SMOE_ROUTE_FEATURES) return features_work(p, q);
    return 8 * n * n + n * (p + q) + 2 * n;
}

size_t smoe_cka_work(const smoe_similarity *how, size_t n, size_t p, size_t q) { return smoe_hsic_work(how, n, p, q); }

static smoe_status start_gram(const smoe_similarity *how, size_t n, size_t p, const double *x, size_t q,
                              const double *y, double *work, gram_side *s, gram_side *t)
{
    double *sums = work + 8 * n * n + n * (p + q);
    lay_out_sides(n, p, x, q, y, work, s, t);
    const smoe_status status = prepare(how, n, sums, s);
    return status == SMOE_OK ? prepare(how, n, sums, t) : status;
}

static smoe_status hsics_of_gram(const smoe_similarity *how, size_t n, const gram_side *s, const gram_side *t,
                                 three *h)
{
    smoe_status status = hsic_of_sides(how, n, s, t, &h->xy);
    if (status == SMOE_OK) status = hsic_of_sides(how, n, s, s, &h->xx);
    if (status == SMOE_OK) status = hsic_of_sides(how, n, t, t, &h->yy);
    return status;
}

smoe_status smoe_hsic(const smoe_similarity *how, size_t n, size_t p, const double *x, size_t q, const double *y,
                      double *work, double *hsic)
{
    smoe_status status = check_pair(how, n, p, x, q, y);
    if (status != SMOE_OK) return status;
    if (how->route == SMOE_ROUTE_FEATURES) {
        feature_pair f;
        status = start_features(n, p, x, q, y, work, &f);
        return status == SMOE_OK ? smoe_hsic_moments(&f.xy, how->estimator, how->divide, f.rest, hsic) : status;
    }
    gram_side s, t;
    status = start_gram(how, n, p, x, q, y, work, &s, &t);
    return status == SMOE_OK ? hsic_of_sides(how, n, &s, &t, hsic) : status;
}

smoe_status smoe_hsic_vjp(const smoe_similarity *how, size_t n, size_t p, const double *x, size_t q, const double *y,
                          double dhsic, double *work, double *dx, double *dy)
{
    smoe_status status = check_pair(how, n, p, x, q, y);
    if (status != SMOE_OK) return status;
    if (!isfinite(dhsic)) return SMOE_EDOM;
    const three dh = {dhsic, 0, 0};
    if (how->route == SMOE_ROUTE_FEATURES) {
        feature_pair f;
        status = start_features(n, p, x, q, y, work, &f);
        if (status == SMOE_OK) status = own_moments(n, &f);
        return status == SMOE_OK ? features_vjp(how, &f, dh, dx, dy) : status;
    }
    gram_side s, t;
    status = start_gram(how, n, p, x, q, y, work, &s, &t);
    return status == SMOE_OK ? sides_vjp(how, n, &s, &t, dh, work, dx, dy) : status;
}

/* The divisor cancels in the ratio. */
static smoe_similarity without_divisor(const smoe_similarity *how)
{
    smoe_similarity copy = *how;
    copy.divide = SMOE_DIVIDE_NONE;
    return copy;
}

smoe_status smoe_cka(const smoe_similarity *how, size_t n, size_t p, const double *x, size_t q, const double *y,
                     double *work, double *cka)
{
    const smoe_similarity h = without_divisor(how);
    smoe_status status = check_pair(&h, n, p, x, q, y);
    if (status != SMOE_OK) return status;
    three hsic;
    if (h.route == SMOE_ROUTE_FEATURES) {
        feature_pair f;
        status = start_features(n, p, x, q, y, work, &f);
        if (status == SMOE_OK) status = own_moments(n, &f);
        if (status == SMOE_OK) status = hsics_of_features(&h, &f, &hsic);
    } else {
        gram_side s, t;
        status = start_gram(&h, n, p, x, q, y, work, &s, &t);
        if (status == SMOE_OK) status = hsics_of_gram(&h, n, &s, &t, &hsic);
    }
    return status == SMOE_OK ? smoe_cka_ratio(hsic.xy, hsic.xx, hsic.yy, cka) : status; /* (K.9) */
}

static smoe_status ratio_vjp(three h, double dcka, three *dh)
{
    return smoe_cka_ratio_vjp(h.xy, h.xx, h.yy, dcka, &dh->xy, &dh->xx, &dh->yy);
}

smoe_status smoe_cka_vjp(const smoe_similarity *how, size_t n, size_t p, const double *x, size_t q, const double *y,
                         double dcka, double *work, double *dx, double *dy)
{
    const smoe_similarity h = without_divisor(how);
    smoe_status status = check_pair(&h, n, p, x, q, y);
    if (status != SMOE_OK) return status;
    if (!isfinite(dcka)) return SMOE_EDOM;
    three hsic, dh;
    if (h.route == SMOE_ROUTE_FEATURES) {
        feature_pair f;
        status = start_features(n, p, x, q, y, work, &f);
        if (status == SMOE_OK) status = own_moments(n, &f);
        if (status == SMOE_OK) status = hsics_of_features(&h, &f, &hsic);
        if (status == SMOE_OK) status = ratio_vjp(hsic, dcka, &dh);     /* (K.9') */
        return status == SMOE_OK ? features_vjp(&h, &f, dh, dx, dy) : status;
    }
    gram_side s, t;
    status = start_gram(&h, n, p, x, q, y, work, &s, &t);
    if (status == SMOE_OK) status = hsics_of_gram(&h, n, &s, &t, &hsic);
    if (status == SMOE_OK) status = ratio_vjp(hsic, dcka, &dh);         /* (K.9') */
    return status == SMOE_OK ? sides_vjp(&h, n, &s, &t, dh, work, dx, dy) : status;
}

/* --- K.12: minibatches --- */

static smoe_similarity unbiased_by_gram(const smoe_similarity *how)
{
    smoe_similarity copy = *how;
    copy.estimator = SMOE_HSIC_UNBIASED;
    copy.route = SMOE_ROUTE_GRAM;
    return copy;
}

size_t smoe_cka_minibatch_work(size_t batch, size_t p, size_t q)
{
    return 8 * batch * batch + batch * (p + q) + 2 * batch;
}

static smoe_status check_minibatch(const smoe_similarity *h, size_t n, size_t batch, size_t p, const double *x,
                                   size_t q, const double *y)
{
    if (batch < 4 || n == 0 || n % batch != 0) return SMOE_EINVAL;
    return check_pair(h, n, p, x, q, y);
}

static smoe_status sums_of_batches(const smoe_similarity *h, size_t n, size_t batch, size_t p, const double *x,
                                    size_t q, const double *y, double *work, three *sum)
{
    three one;
    *sum = (three){0, 0, 0};
    for (size_t first = 0; first < n; first += batch) {
        gram_side s, t;
        smoe_status status = start_gram(h, batch, p, x + first * p, q, y + first * q, work, &s, &t);
        if (status == SMOE_OK) status = hsics_of_gram(h, batch, &s, &t, &one);
        if (status != SMOE_OK) return status;
        sum->xy += one.xy;
        sum->xx += one.xx;
        sum->yy += one.yy;
    }
    return isfinite(sum->xy) && isfinite(sum->xx) && isfinite(sum->yy) ? SMOE_OK : SMOE_EOVRFLW;
}

/*@ requires k > 0;
    assigns \nothing; */
static double mean_of_sum(double sum, size_t k)
{
    return sum / (double)k;
}

smoe_status smoe_cka_of_batches(size_t batches, double sum_xy, double sum_xx, double sum_yy, double *cka)
{
    if (batches == 0) return SMOE_EINVAL;
    const double xy = mean_of_sum(sum_xy, batches), xx = mean_of_sum(sum_xx, batches);
    return smoe_cka_ratio(xy, xx, mean_of_sum(sum_yy, batches), cka);   /* (K.12) */
}

smoe_status smoe_cka_minibatch(const smoe_similarity *how, size_t n, size_t batch, size_t p, const double *x, size_t q,
                               const double *y, double *work, double *cka)
{
    const smoe_similarity h = unbiased_by_gram(how);
    smoe_status status = check_minibatch(&h, n, batch, p, x, q, y);
    if (status != SMOE_OK) return status;
    three sum;
    status = sums_of_batches(&h, n, batch, p, x, q, y, work, &sum);
    return status == SMOE_OK ? smoe_cka_of_batches(n / batch, sum.xy, sum.xx, sum.yy, cka) : status;
}

smoe_status smoe_cka_minibatch_vjp(const smoe_similarity *how, size_t n, size_t batch, size_t p, const double *x,
                                   size_t q, const double *y, double dcka, double *work, double *dx, double *dy)
{
    const smoe_similarity h = unbiased_by_gram(how);
    smoe_status status = check_minibatch(&h, n, batch, p, x, q, y);
    if (status != SMOE_OK) return status;
    if (!isfinite(dcka)) return SMOE_EDOM;
    three sum, dh;
    const double k = (double)(n / batch);
    status = sums_of_batches(&h, n, batch, p, x, q, y, work, &sum);
    if (status == SMOE_OK) status = ratio_vjp((three){sum.xy / k, sum.xx / k, sum.yy / k}, dcka, &dh);
    if (status != SMOE_OK) return status;
    const three each = {dh.xy / k, dh.xx / k, dh.yy / k}; /* (K.12') */
    for (size_t first = 0; first < n && status == SMOE_OK; first += batch) {
        gram_side s, t;
        status = start_gram(&h, batch, p, x + first * p, q, y + first * q, work, &s, &t);
        if (status == SMOE_OK) status = sides_vjp(&h, batch, &s, &t, each, work, dx + first * p, dy + first * q);
    }
    return status;
}

/* --- K.13: cosines --- */

typedef struct {
    double nx, ny, cosine;
} angle;

/* The cosine of one row, 0 if either is 0, and the norms. */
/*@ requires \valid_read(x + (0 .. d-1)) && \valid_read(y + (0 .. d-1)) && \valid(a);
    requires \separated(a, x + (0 .. d-1)) && \separated(a, y + (0 .. d-1));
    assigns *a; */
static smoe_status cosine_of_row(size_t d, const double *x, const double *y, angle *a)
{
    smoe_status status = smoe_norm(d, x, &a->nx);
    if (status == SMOE_OK) status = smoe_norm(d, y, &a->ny);
    if (status != SMOE_OK) return status;
    a->cosine = 0;
    if (a->nx == 0 || a->ny == 0) return SMOE_OK;
    /*@ loop invariant 0 <= k <= d;
        loop assigns k, a->cosine; loop variant d - k; */
    for (size_t k = 0; k < d; k++) a->cosine = fma(x[k] / a->nx, y[k] / a->ny, a->cosine); /* (K.13) of a row */
    return SMOE_OK;
}

/*@ requires smoe_size(n*d) && \valid_read(x + (0 .. n*d-1)) && \valid_read(y + (0 .. n*d-1));
    assigns \nothing;
    ensures n == 0 || d == 0 ==> \result == SMOE_EINVAL;
    ensures \result == SMOE_OK ==> n > 0; */
static smoe_status check_rows(size_t n, size_t d, const double *x, const double *y)
{
    if (n == 0 || d == 0) return SMOE_EINVAL;
    return smoe_all_finite(n * d, x) && smoe_all_finite(n * d, y) ? SMOE_OK : SMOE_EDOM;
}

smoe_status smoe_cosine(size_t n, size_t d, const double *x, const double *y, double *value)
{
    smoe_status status = check_rows(n, d, x, y);
    double sum = 0;
    /*@ loop invariant 0 <= i <= n && (n == 0 || d == 0 ==> status == SMOE_EINVAL);
        loop assigns i, status, sum; loop variant n - i; */
    for (size_t i = 0; i < n && status == SMOE_OK; i++) {
        /*@ assert i*d + d <= n*d; */
        angle a = {0, 0, 0};
        status = cosine_of_row(d, x + i * d, y + i * d, &a);
        if (status == SMOE_OK) sum += a.cosine;
    }
    if (status == SMOE_OK) *value = sum / (double)n;                    /* (K.13) */
    return status;
}

smoe_status smoe_cosine_absolute(size_t n, size_t d, const double *x, const double *y, double *value)
{
    smoe_status status = check_rows(n, d, x, y);
    double sum = 0;
    /*@ loop invariant 0 <= i <= n && (n == 0 || d == 0 ==> status == SMOE_EINVAL);
        loop assigns i, status, sum; loop variant n - i; */
    for (size_t i = 0; i < n && status == SMOE_OK; i++) {
        /*@ assert i*d + d <= n*d; */
        angle a = {0, 0, 0};
        status = cosine_of_row(d, x + i * d, y + i * d, &a);
        if (status == SMOE_OK) sum += fabs(a.cosine);
    }
    if (status == SMOE_OK) *value = sum / (double)n;                    /* (K.13), absolute */
    return status;
}

/* dcosine (v - cosine u) / |x| and dcosine (u - cosine v) / |y|, with the unit rows u and v. */
/*@ requires \valid_read(x + (0 .. d-1)) && \valid_read(y + (0 .. d-1)) && \valid(dx + (0 .. d-1)) && \valid(dy + (0 .. d-1));
    requires \separated(x + (0 .. d-1), dx + (0 .. d-1), dy + (0 .. d-1));
    requires \separated(y + (0 .. d-1), dx + (0 .. d-1), dy + (0 .. d-1));
    assigns dx[0 .. d-1], dy[0 .. d-1];
    ensures \result == SMOE_OK || \result == SMOE_EOVRFLW; */
static smoe_status cosine_row_vjp(size_t d, const double *x, const double *y, angle a, double dcosine, double *dx,
                                  double *dy)
{
    /*@ loop invariant 0 <= k <= d;
        loop assigns k, dx[0 .. d-1], dy[0 .. d-1]; loop variant d - k; */
    for (size_t k = 0; k < d; k++) {
        if (a.nx == 0 || a.ny == 0) {
            dx[k] = dy[k] = 0;
            continue;
        }
        const double u = x[k] / a.nx, v = y[k] / a.ny;
        dx[k] = dcosine * fma(-a.cosine, u, v) / a.nx;                  /* (K.13') */
        dy[k] = dcosine * fma(-a.cosine, v, u) / a.ny;                  /* (K.13') */
    }
    return smoe_all_finite(d, dx) ? finite_or_overflow(d, dy) : SMOE_EOVRFLW;
}

smoe_status smoe_cosine_vjp(size_t n, size_t d, const double *x, const double *y, double dvalue, double *dx,
                            double *dy)
{
    smoe_status status = check_rows(n, d, x, y);
    if (status == SMOE_OK && !isfinite(dvalue)) status = SMOE_EDOM;
    /*@ loop invariant 0 <= i <= n && (n == 0 || d == 0 ==> status == SMOE_EINVAL);
        loop assigns i, status, dx[0 .. n*d-1], dy[0 .. n*d-1]; loop variant n - i; */
    for (size_t i = 0; i < n && status == SMOE_OK; i++) {
        //@ ghost row_is_inside(i, n, d);
        angle a = {0, 0, 0};
        status = cosine_of_row(d, x + i * d, y + i * d, &a);
        if (status == SMOE_OK)
            status = cosine_row_vjp(d, x + i * d, y + i * d, a, dvalue / (double)n, dx + i * d, dy + i * d);
    }
    return status;
}

smoe_status smoe_cosine_absolute_vjp(size_t n, size_t d, const double *x, const double *y, double dvalue, double *dx,
                                     double *dy)
{
    smoe_status status = check_rows(n, d, x, y);
    if (status == SMOE_OK && !isfinite(dvalue)) status = SMOE_EDOM;
    /*@ loop invariant 0 <= i <= n && (n == 0 || d == 0 ==> status == SMOE_EINVAL);
        loop assigns i, status, dx[0 .. n*d-1], dy[0 .. n*d-1]; loop variant n - i; */
    for (size_t i = 0; i < n && status == SMOE_OK; i++) {
        //@ ghost row_is_inside(i, n, d);
        angle a = {0, 0, 0};
        status = cosine_of_row(d, x + i * d, y + i * d, &a);
        const double sign = a.cosine > 0 ? 1 : a.cosine < 0 ? -1 : 0;   /* (K.13'), absolute */
        if (status == SMOE_OK)
            status = cosine_row_vjp(d, x + i * d, y + i * d, a, sign * dvalue / (double)n, dx + i * d, dy + i * d);
    }
    return status;
}
