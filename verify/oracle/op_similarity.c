/* Operations of chapter K: spec/06-similarity.md. */
#include <math.h>
#include <stdlib.h>

#include "op_similarity.h"

/* --- what they share ---------------------------------------------------------------------------------------------- */

#define KERNEL KERNEL_PARAMETERS("K_ij = <x_i, x_j>, or exp(-|x_i - x_j|^2 / (2 bandwidth))")

static const op_tensor pair_in[] = {
    {"x", "n,p", OP_INPUT, OP_DIFF, "one representation of each sample"},
    {"y", "n,q", OP_INPUT, OP_DIFF, "another representation of the same samples"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor cka_out[] = {
    {"cka", "", OP_BOUNDED, OP_DIFF, "HSIC(K,L) / sqrt(HSIC(K,K) HSIC(L,L))"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};

smoe_similarity similarity_meant(const op_case *c)
{
    smoe_similarity how = {
        .kernel = op_is(c, "kernel", "linear") ? SMOE_KERNEL_LINEAR : SMOE_KERNEL_RBF,
        .sigma = op_real(c, "sigma"),
        .bandwidth = op_is(c, "bandwidth", "absolute") ? SMOE_BANDWIDTH_ABSOLUTE : SMOE_BANDWIDTH_MEDIAN,
        .diagonal = op_is(c, "diagonal", "with") ? SMOE_DIAGONAL_WITH : SMOE_DIAGONAL_WITHOUT,
        .middle = op_is(c, "middle", "mean") ? SMOE_MIDDLE_MEAN : SMOE_MIDDLE_LOWER,
        .median = op_is(c, "median", "distance") ? SMOE_MEDIAN_DISTANCE : SMOE_MEDIAN_SQUARE,
        .detach = op_is(c, "detach", "yes"),
        .estimator = SMOE_HSIC_UNBIASED,
        .route = SMOE_ROUTE_GRAM,
        .divide = SMOE_DIVIDE_N_LESS_1,
    };
    return how;
}

smoe_estimator similarity_estimator(const op_case *c)
{
    if (op_is(c, "estimator", "biased")) return SMOE_HSIC_BIASED;
    return op_is(c, "estimator", "unbiased") ? SMOE_HSIC_UNBIASED : SMOE_HSIC_DEBIASED;
}

const char *similarity_sigma(const op_case *c)
{
    const double sigma = op_real(c, "sigma");
    return sigma > 0 && isfinite(sigma) ? NULL : "sigma must be a finite number above 0";
}

static const char *kernel_sizes(const op_case *c, char width)
{
    if (op_dim(c, 'n') < 1) return "n must be at least 1: there is no sample";
    if (op_dim(c, width) < 1) return "a representation must have at least one feature";
    return similarity_sigma(c);
}

static const char *pair_sizes(const op_case *c)
{
    if (op_dim(c, 'q') < 1) return "a representation must have at least one feature";
    return kernel_sizes(c, 'p');
}

static const char *enough_samples(const op_case *c)
{
    if (op_is(c, "estimator", "biased"))
        return op_dim(c, 'n') < 2 ? "n must be at least 2: one sample has no variance" : NULL;
    return op_dim(c, 'n') < 4 ? "n must be at least 4: HSIC_1 is divided by n (n - 3)" : NULL;
}

/* --- draws -------------------------------------------------------------------------------------------------------- */

static size_t x_count(const op_case *c) { return op_dim(c, 'n') * op_dim(c, 'p'); }
static size_t y_count(const op_case *c) { return op_dim(c, 'n') * op_dim(c, 'q'); }

/* y = x A + noise/2 with A normal, entries of variance 1/p. */
static void related(op_case *c, op_rng *r, const double *x, double *y)
{
    const size_t n = op_dim(c, 'n'), p = op_dim(c, 'p'), q = op_dim(c, 'q');
    double *A = op_room(p * q, sizeof *A);
    for (size_t k = 0; k < p * q; k++) A[k] = op_normal(r) / sqrt((double)p);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < q; j++) {
            double s = 0.5 * op_normal(r);
            for (size_t k = 0; k < p; k++) s += x[i * p + k] * A[k * q + j];
            y[i * q + j] = op_representable(s);
        }
    free(A);
}

static void fill_related(op_case *c, op_rng *r)
{
    op_fill_normal(r, 1, x_count(c), op_in(c, "x"));
    related(c, r, op_in(c, "x"), op_in(c, "y"));
}

static void scale(double by, size_t n, double *x)
{
    for (size_t i = 0; i < n; i++) x[i] = op_representable(by * x[i]);
}

static void fill_tenth(op_case *c, op_rng *r)
{
    fill_related(c, r);
    scale(0.1, x_count(c), op_in(c, "x"));
    scale(0.1, y_count(c), op_in(c, "y"));
}

/* All features but the last near `offset`, in multiples of `grid`, as far apart as `spread` normals.  Whoever reads them in
 * a format that is too narrow for that still has the last one. */
static void move_to(double offset, double spread, double grid, size_t n, size_t p, double *x)
{
    for (size_t i = 0; i < n * p; i++)
        if (i % p != p - 1) x[i] = offset + grid * nearbyint(spread * x[i] / grid);
}

static void fill_off(op_case *c, op_rng *r, double offset, double spread, double grid)
{
    fill_related(c, r);
    move_to(offset, spread, grid, op_dim(c, 'n'), op_dim(c, 'p'), op_in(c, "x"));
    move_to(-offset, spread, grid, op_dim(c, 'n'), op_dim(c, 'q'), op_in(c, "y"));
}

/* binary32 holds these: at 2^10, 2^20 and 2^27 it has steps of 2^-13, 1/8 and 16 */
static void fill_off_1e3(op_case *c, op_rng *r) { fill_off(c, r, 1000, 1, 0x1p-10); }
static void fill_off_1e6(op_case *c, op_rng *r) { fill_off(c, r, 1e6, 1, 0.125); }
static void fill_off_1e8(op_case *c, op_rng *r) { fill_off(c, r, 1e8, 1024, 16); }
/* and this binary64 alone */
static void fill_off_far(op_case *c, op_rng *r) { fill_off(c, r, 1e8, 1, 0x1p-20); }

/* (C, a): <x_i, x_j> = C^2 + a_i a_j is rounded once, whatever the order, and C^2 is so large that a_i a_j loses its last
 * bits: 8 units in the last place of C^2 for C = 2^13 in binary32, 4 for C = 2^27 in binary64.  The a are 1 or -1 mod 8, so
 * |x_i|^2 loses exactly 1 and <x_i, x_j> gains or loses 1: a distance of 4 becomes 0. */
static void one_feature(double C, size_t n, double *x, size_t turn)
{
    static const double a[12] = {1, -1, 7, 9, -7, -9, 15, 17, -15, 23, -17, 25};
    for (size_t i = 0; i < n; i++) {
        x[2 * i] = C;
        x[2 * i + 1] = a[(i * turn + (turn - 1) / 2) % 12];
    }
}

static void expanding(op_case *c, double C, bool two)
{
    one_feature(C, op_dim(c, 'n'), op_in(c, "x"), 1);
    if (two) one_feature(C, op_dim(c, 'n'), op_in(c, "y"), 5);
}

static void fill_expansion_32(op_case *c, op_rng *r)
{
    (void)r;
    expanding(c, 0x1p13, c->op->in[1].name);
}

static void fill_expansion_64(op_case *c, op_rng *r)
{
    (void)r;
    expanding(c, 0x1p27, c->op->in[1].name);
}

/* Rulers: 0, 1, 4, 9, 15, 22, 32, 34 has 28 distinct differences, so that no two distances are near a tie. */
static void ruler(op_rng *r, size_t n, size_t p, double *x)
{
    static const double mark[8] = {0, 1, 4, 9, 15, 22, 32, 34};
    const size_t start = (size_t)op_below(r, 8);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < p; k++)
            x[i * p + k] = k == 0 ? mark[(3 * i + start) % 8] / 8 : op_representable(0.0625 * op_normal(r));
}

static void fill_ruler(op_case *c, op_rng *r)
{
    ruler(r, op_dim(c, 'n'), op_dim(c, 'p'), op_in(c, "x"));
    if (c->op->in[1].name) ruler(r, op_dim(c, 'n'), op_dim(c, 'q'), op_in(c, "y"));
}

/* The marks of the ruler in two orders, and a cotangent of 1. */
static void fill_two_rulers(op_case *c, op_rng *r)
{
    static const double mark[8] = {0, 1, 4, 9, 15, 22, 32, 34};
    (void)r;
    for (size_t i = 0; i < 8; i++) {
        op_in(c, "x")[i] = mark[i] / 8;
        op_in(c, "y")[i] = mark[(7 * i + 2) % 8] / 8;
    }
    *op_cot(c, c->op->out[0].name) = 1;
}

/* x is +-1 by one bit of the sample's number and y by another, with a little noise: not related, and HSIC_1 is negative. */
static void fill_factorial(op_case *c, op_rng *r)
{
    const size_t n = op_dim(c, 'n'), p = op_dim(c, 'p'), q = op_dim(c, 'q');
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < p; k++)
            op_in(c, "x")[i * p + k] = (i % 2 ? 1 : -1) + 0.125 * ((double)op_below(r, 3) - 1);
        for (size_t k = 0; k < q; k++)
            op_in(c, "y")[i * q + k] = (i / 2 % 2 ? 1 : -1) + 0.125 * ((double)op_below(r, 3) - 1);
    }
    *op_cot(c, c->op->out[0].name) = 1;
}

static void fill_same(op_case *c, op_rng *r)
{
    op_fill_normal(r, 1, x_count(c), op_in(c, "x"));
    for (size_t i = 0; i < x_count(c); i++) op_in(c, "y")[i] = op_in(c, "x")[i];
}

/* Everything about 2: a kernel that is not centred sees little else. */
static void fill_shifted(op_case *c, op_rng *r)
{
    fill_related(c, r);
    for (size_t i = 0; i < x_count(c); i++) op_in(c, "x")[i] = op_representable(op_in(c, "x")[i] + 2);
    for (size_t i = 0; i < y_count(c); i++) op_in(c, "y")[i] = op_representable(op_in(c, "y")[i] - 2);
}

/* Two clusters, far apart: of 8 samples 12 distances are small and 16 large, and with the zeros of the diagonal the middle two
 * are one of each. */
static void clusters(op_rng *r, size_t n, size_t p, size_t turn, double *x)
{
    for (size_t i = 0; i < n * p; i++)
        x[i] = (i % p == 0 ? (i / p / turn % 2 ? 2 : -2) : 0) + 0.125 * ((double)op_below(r, 5) - 2);
}

static void fill_clusters(op_case *c, op_rng *r)
{
    clusters(r, op_dim(c, 'n'), op_dim(c, 'p'), 1, op_in(c, "x"));
    if (c->op->in[1].name) clusters(r, op_dim(c, 'n'), op_dim(c, 'q'), 2, op_in(c, "y"));
    for (size_t i = 0; i < op_dim(c, 'n') && c->op->in[1].name; i++) /* y knows something of x */
        op_in(c, "y")[i * op_dim(c, 'q')] += 0.5 * op_in(c, "x")[i * op_dim(c, 'p')];
}

/* Small whole numbers of which every step up to HSIC is exact in 8 bits: x = (b0, b1, b0 b1, ...), y = (b0 + b2, b1 b2, ...) of
 * the bits b = +-1 of the sample's number; the means are 0. */
static void fill_whole(op_case *c, op_rng *r)
{
    const size_t n = op_dim(c, 'n'), p = op_dim(c, 'p'), q = op_dim(c, 'q');
    (void)r;
    for (size_t i = 0; i < n; i++) {
        const double b[3] = {i % 2 ? 1 : -1, i / 2 % 2 ? 1 : -1, i / 4 % 2 ? 1 : -1};
        const double x[4] = {b[0], 2 * b[1], b[0] * b[1], b[2]}, y[4] = {b[0] + b[2], b[1] * b[2], 2 * b[1], b[0]};
        for (size_t k = 0; k < p; k++) op_in(c, "x")[i * p + k] = x[k % 4];
        for (size_t k = 0; k < q; k++) op_in(c, "y")[i * q + k] = y[k % 4];
    }
    *op_cot(c, c->op->out[0].name) = 1;
}

/* The same with 3 added to x and 4 to y. */
static void fill_whole_shifted(op_case *c, op_rng *r)
{
    fill_whole(c, r);
    for (size_t i = 0; i < x_count(c); i++) op_in(c, "x")[i] += 3;
    for (size_t i = 0; i < y_count(c); i++) op_in(c, "y")[i] += 4;
}

/* Samples in sixes with means of 0: HSIC_1 divides sums of rows by 4.  The second six is larger in x, and turned in y. */
static void fill_sixes(op_case *c, op_rng *r)
{
    static const double x[4][6] = {
        {1, -1, 1, -1, 1, -1}, {2, 0, -2, 2, 0, -2}, {0, 1, -1, -1, 0, 1}, {1, 1, 0, -1, -1, 0}};
    static const double y[4][6] = {
        {1, -2, 1, 0, -1, 1}, {1, 1, -2, -1, 2, -1}, {2, -1, -1, 1, -1, 0}, {-1, 0, 2, -1, 1, -1}};
    const size_t n = op_dim(c, 'n'), p = op_dim(c, 'p'), q = op_dim(c, 'q');
    (void)r;
    for (size_t i = 0; i < n; i++) {
        const size_t six = i / 6, at = i % 6;
        for (size_t k = 0; k < p; k++) op_in(c, "x")[i * p + k] = (double)(six + 1) * x[k % 4][at];
        for (size_t k = 0; k < q; k++) op_in(c, "y")[i * q + k] = y[k % 4][(at + six) % 6];
    }
    *op_cot(c, c->op->out[0].name) = 1;
}

/* The second half of the samples is the first half again. */
static void fill_twice(op_case *c, op_rng *r)
{
    const size_t h = op_dim(c, 'n') / 2, p = op_dim(c, 'p'), q = op_dim(c, 'q');
    fill_related(c, r);
    for (size_t i = 0; i < h * p; i++) op_in(c, "x")[h * p + i] = op_in(c, "x")[i];
    for (size_t i = 0; i < h * q; i++) op_in(c, "y")[h * q + i] = op_in(c, "y")[i];
}

/* Corners of a cube, 4 apart, by the bits of the sample's number, and nearly so; y has them in another order. */
static void corners(op_rng *r, size_t n, size_t p, size_t turn, double *x)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < p; k++) {
            const size_t corner = (turn * i + turn / 2) % 8;
            x[i * p + k] = 4 * (double)(corner >> k & 1) + 0.125 * ((double)op_below(r, 5) - 2);
        }
}

static void fill_corners(op_case *c, op_rng *r)
{
    corners(r, op_dim(c, 'n'), op_dim(c, 'p'), 1, op_in(c, "x"));
    corners(r, op_dim(c, 'n'), op_dim(c, 'q'), 3, op_in(c, "y"));
}

/* y is related to x and near. */
static void fill_corners_near(op_case *c, op_rng *r)
{
    fill_corners(c, r);
    for (size_t i = 0; i < y_count(c); i++) op_in(c, "y")[i] *= 0.125;
}

/* Only the first feature varies. */
static void fill_rank_one(op_case *c, op_rng *r)
{
    fill_related(c, r);
    for (size_t i = 0; i < x_count(c); i++)
        if (i % op_dim(c, 'p') != 0) op_in(c, "x")[i] = 1;
}

/* --- similarity.kernel (K.1 to K.5) ------------------------------------------------------------------------------- */

static const op_tensor kernel_in[] = {
    {"x", "n,p", OP_INPUT, OP_DIFF, "one representation of each sample"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor kernel_out[] = {
    {"gram", "n,n", OP_BOUNDED, OP_DIFF, "the kernel of each two samples"},
    {"bandwidth", "", OP_STAGE, 0, "sigma^2, which distances are compared with; 0 for the linear kernel"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param kernel_param[] = {
    KERNEL,
    {"centre", OP_CHOICE, "no|yes", "the kernel as it is, or H K H with H = I - 11^T/n"},
    {NULL, OP_INT, NULL, NULL},
};

static bool by_median(const op_case *c) { return op_is(c, "kernel", "rbf") && op_is(c, "bandwidth", "median"); }

static const char *kernel_check(const op_case *c)
{
    const char *wrong = kernel_sizes(c, 'p');
    if (wrong) return wrong;
    return by_median(c) && op_dim(c, 'n') < 2 ? "n must be at least 2: one sample has no distance" : NULL;
}

static smoe_status kernel_forward(op_case *c)
{
    const smoe_similarity how = similarity_meant(c);
    const size_t n = op_dim(c, 'n'), p = op_dim(c, 'p');
    double *work = op_room(smoe_gram_work(n, p), sizeof *work);
    const smoe_status status = (op_is(c, "centre", "yes") ? smoe_gram_centred : smoe_gram)(
        &how, n, p, op_in(c, "x"), work, op_out(c, "gram"), op_out(c, "bandwidth"));
    free(work);
    return status;
}

static smoe_status kernel_vjp(op_case *c)
{
    const smoe_similarity how = similarity_meant(c);
    const size_t n = op_dim(c, 'n'), p = op_dim(c, 'p');
    double *work = op_room(smoe_gram_work(n, p), sizeof *work);
    const smoe_status status = (op_is(c, "centre", "yes") ? smoe_gram_centred_vjp : smoe_gram_vjp)(
        &how, n, p, op_in(c, "x"), op_cot(c, "gram"), work, op_grad(c, "x"));
    free(work);
    return status;
}

static void fill_one_shifted(op_case *c, op_rng *r)
{
    op_fill_normal(r, 1, x_count(c), op_in(c, "x"));
    for (size_t i = 0; i < x_count(c); i++) op_in(c, "x")[i] = op_representable(op_in(c, "x")[i] + 2);
}

static void fill_one_off(op_case *c, op_rng *r, double offset, double spread, double grid)
{
    op_fill_normal(r, 1, x_count(c), op_in(c, "x"));
    move_to(offset, spread, grid, op_dim(c, 'n'), op_dim(c, 'p'), op_in(c, "x"));
}

static void fill_one_1e3(op_case *c, op_rng *r) { fill_one_off(c, r, 1000, 1, 0x1p-10); }
static void fill_one_1e6(op_case *c, op_rng *r) { fill_one_off(c, r, 1e6, 1, 0.125); }
static void fill_one_1e8(op_case *c, op_rng *r) { fill_one_off(c, r, 1e8, 1024, 16); }
static void fill_one_far(op_case *c, op_rng *r) { fill_one_off(c, r, 1e8, 1, 0x1p-20); }

/* Samples 0 and 1 are the same. */
static void fill_one_equal(op_case *c, op_rng *r)
{
    const size_t p = op_dim(c, 'p');
    op_fill_normal(r, 1, x_count(c), op_in(c, "x"));
    for (size_t k = 0; k < p; k++) op_in(c, "x")[p + k] = op_in(c, "x")[k];
}

#define MEDIAN "kernel=rbf,bandwidth=median,sigma=0.5"

static const op_spec kernel_cases[] = {
    {"small", "smoke", "n=4,p=3", "kernel=rbf,sigma=1", "", "a first look", NULL},
    {"linear", "core", "n=7,p=3", "", "", "inner products", NULL},
    {"linear-square", "core,adversarial", "n=5,p=5", "", "TransposedFeatures",
     "as many features as samples: X X^T, not X^T X", NULL},
    {"linear-centred", "core", "n=7,p=3", "centre=yes", "Uncentred,OneSideCentred", "centred on both sides",
     fill_one_shifted},
    {"rbf", "core", "n=7,p=3", "kernel=rbf,sigma=1.5", "SquaredSigmaSlip", "an absolute bandwidth of 2.25", NULL},
    {"rbf-centred", "core", "n=7,p=3", "kernel=rbf,sigma=1.5,centre=yes", "Uncentred,OneSideCentred",
     "the same, centred", NULL},
    {"one-sample", "core", "n=1,p=4", "kernel=rbf,sigma=1", "", "K is 1, the gradient 0", NULL},
    {"one-feature", "core", "n=6,p=1", "kernel=rbf,sigma=1", "", "p = 1", NULL},
    {"equal", "core", "n=5,p=3", "kernel=rbf,sigma=1", "", "two samples are the same: their kernel is 1",
     fill_one_equal},
    {"median", "core", "n=8,p=3", MEDIAN, "RbfAbsoluteSigma,MedianRule",
     "half the median of all 64 distances, 8 of them 0", NULL},
    {"median-without", "core", "n=8,p=3", MEDIAN ",diagonal=without", "MedianRule", "the same without the diagonal",
     NULL},
    {"median-lower", "core", "n=8,p=3", MEDIAN ",middle=lower", "MedianRule",
     "the lower of the middle two, as torch.median; giangdip2410/SimSMoE", NULL},
    {"median-square", "core", "n=8,p=3", MEDIAN ",median=square", "MedianRule", "of squared distances", NULL},
    {"median-odd", "core", "n=5,p=3", MEDIAN ",centre=yes", "", "an odd number of distances, and a centred kernel",
     NULL},
    {"median-trained", "core", "n=8,p=2", MEDIAN ",detach=no", "BandwidthDetached",
     "the gradient through the bandwidth as well", fill_ruler},
    {"median-trained-square", "core,adversarial", "n=7,p=1",
     MEDIAN ",detach=no,diagonal=without,median=square,centre=yes", "BandwidthDetached", "the same by another rule",
     fill_ruler},
    {"median-detached", "core", "n=8,p=2", MEDIAN, "BandwidthTrained", "where the bandwidth is a constant", fill_ruler},
    {"absolute", "adversarial", "n=8,p=16", "kernel=rbf,bandwidth=median", "RbfAbsoluteSigma",
     ".8 of the median distance: with .8 itself K is the unit matrix; giangdip2410/SimSMoE", NULL},
    {"fraction", "adversarial", "n=8,p=4", "kernel=rbf,sigma=1.5", "RbfFractionSigma",
     "1.5 as it is, which is not 1.5 times the median distance", NULL},
    {"clusters", "adversarial", "n=8,p=2", "kernel=rbf,bandwidth=median,sigma=1", "MedianRule",
     "the middle two of all distances are .5 and 4, and every rule has another bandwidth", fill_clusters},
    {"clusters-lower", "adversarial", "n=8,p=2", "kernel=rbf,bandwidth=median,sigma=1,middle=lower", "MedianRule",
     "the lower of them", fill_clusters},
    {"clusters-square", "adversarial", "n=8,p=2", "kernel=rbf,bandwidth=median,sigma=1,median=square", "MedianRule",
     "the mean of their squares", fill_clusters},
    {"clusters-without", "adversarial", "n=8,p=2", "kernel=rbf,bandwidth=median,sigma=1,diagonal=without", "MedianRule",
     "without the zeros of the diagonal both are 4", fill_clusters},
    {"expansion-32", "adversarial", "n=8,p=2", "kernel=rbf,sigma=4", "GramExpansion",
     "|x|^2 + |y|^2 - 2 <x,y> in binary32 takes distances of 4 for 0: one feature is 2^13 everywhere",
     fill_expansion_32},
    {"expansion-64", "adversarial", "n=8,p=2", "kernel=rbf,sigma=4", "wide,GramExpansion",
     "the same in binary64, with 2^27", fill_expansion_64},
    {"expansion-median", "adversarial", "n=8,p=2", MEDIAN, "wide,GramExpansion",
     "the same with a bandwidth from the distances", fill_expansion_64},
    {"offset-1e3", "adversarial", "n=7,p=3", "kernel=rbf,sigma=1.5", "wide,GramExpansion", "features about 1e3",
     fill_one_1e3},
    {"offset-1e6", "adversarial", "n=7,p=3", MEDIAN, "wide,GramExpansion",
     "about 1e6, where the expansion is off by 1e-3 in binary64", fill_one_1e6},
    {"offset-1e8", "adversarial", "n=7,p=3", MEDIAN, "wide,GramExpansion", "about 1e8, in steps of binary32",
     fill_one_1e8},
    {"offset-far", "adversarial", "n=7,p=3", "kernel=rbf,sigma=1.5,centre=yes", "wide,GramExpansion",
     "about 1e8, where squared distances by the expansion are negative", fill_one_far},
    {"linear-1e3", "adversarial", "n=7,p=3", "centre=yes", "wide,Uncentred", "means before products", fill_one_1e3},
    {"linear-1e6", "adversarial", "n=7,p=3", "centre=yes", "wide,Uncentred", "means before products", fill_one_1e6},
    {"large", "large", "n=48,p=16", "kernel=rbf,bandwidth=median", "", "48 samples", NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- similarity.hsic (K.6 to K.8) --------------------------------------------------------------------------------- */

static const op_tensor hsic_out[] = {
    {"hsic", "", OP_BOUNDED, OP_DIFF,
     "biased: tr(K H L H) / (n-1)^2; unbiased, debiased: HSIC_1, which may be negative"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param hsic_param[] = {
    KERNEL,
    ESTIMATOR_PARAMETER,
    {"divide", OP_CHOICE, "n-1|n|none", "the biased form over (n-1)^2, over n^2, or undivided"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *hsic_check(const op_case *c)
{
    const char *wrong = pair_sizes(c);
    return wrong ? wrong : enough_samples(c);
}

static smoe_similarity meant_hsic(const op_case *c)
{
    smoe_similarity how = similarity_meant(c);
    how.estimator = similarity_estimator(c);
    how.divide = op_is(c, "divide", "n-1") ? SMOE_DIVIDE_N_LESS_1
                 : op_is(c, "divide", "n") ? SMOE_DIVIDE_N
                                           : SMOE_DIVIDE_NONE;
    return how;
}

static smoe_status hsic_forward(op_case *c)
{
    const smoe_similarity how = meant_hsic(c);
    const size_t n = op_dim(c, 'n'), p = op_dim(c, 'p'), q = op_dim(c, 'q');
    double *work = op_room(smoe_hsic_work(&how, n, p, q), sizeof *work);
    const smoe_status status = smoe_hsic(&how, n, p, op_in(c, "x"), q, op_in(c, "y"), work, op_out(c, "hsic"));
    free(work);
    return status;
}

static smoe_status hsic_vjp(op_case *c)
{
    const smoe_similarity how = meant_hsic(c);
    const size_t n = op_dim(c, 'n'), p = op_dim(c, 'p'), q = op_dim(c, 'q');
    double *work = op_room(smoe_hsic_work(&how, n, p, q), sizeof *work);
    const smoe_status status = smoe_hsic_vjp(&how, n, p, op_in(c, "x"), q, op_in(c, "y"), *op_cot(c, "hsic"), work,
                                             op_grad(c, "x"), op_grad(c, "y"));
    free(work);
    return status;
}

static const op_spec hsic_cases[] = {
    {"small", "smoke", "n=5,p=3,q=2", "", "", "a first look", fill_related},
    {"linear", "core", "n=9,p=3,q=4", "", "HsicDivisor,UnbiasedForBiased", "covariances, squared", fill_related},
    {"linear-n", "core,adversarial", "n=9,p=3,q=4", "divide=n", "HsicDivisor",
     "over n^2; Gretton et al. 2005 have (n-1)^2", fill_related},
    {"linear-sum", "core", "n=9,p=3,q=4", "divide=none", "HsicDivisor", "undivided, as in the code of SimSMoE",
     fill_related},
    {"linear-shifted", "core", "n=9,p=3,q=3", "", "Uncentred,OneSideCentred", "features about 2 and -2", fill_shifted},
    {"unbiased", "core", "n=8,p=3,q=4", "estimator=unbiased", "BiasedSmallN,KernelDiagonalKept,HsicDivisor",
     "without bias; AntixK/PyTorch-Model-Compare", fill_related},
    {"debiased", "core", "n=8,p=3,q=4", "estimator=debiased", "BiasedSmallN,KernelDiagonalKept,HsicDivisor",
     "the same by U-centring", fill_related},
    {"rbf", "core", "n=8,p=3,q=4", "kernel=rbf,sigma=1.5", "SquaredSigmaSlip", "an absolute bandwidth", fill_related},
    {"rbf-unbiased", "core", "n=8,p=3,q=3", "kernel=rbf,sigma=1.5,estimator=unbiased", "BiasedSmallN", "without bias",
     fill_related},
    {"median", "core", "n=8,p=3,q=4", MEDIAN, "RbfAbsoluteSigma,MedianRule", "half the median distance, of x and of y",
     fill_related},
    {"median-without", "core", "n=8,p=3,q=4", MEDIAN ",diagonal=without", "MedianRule",
     "the same without the diagonals", fill_related},
    {"median-lower", "core", "n=8,p=3,q=4", MEDIAN ",middle=lower,estimator=debiased", "MedianRule", "the lower middle",
     fill_related},
    {"median-square", "core", "n=8,p=3,q=4", MEDIAN ",median=square", "MedianRule", "of squared distances",
     fill_related},
    {"trained", "core", "n=8,p=2,q=1", MEDIAN ",detach=no", "BandwidthDetached", "the gradient through both bandwidths",
     fill_ruler},
    {"detached", "core", "n=8,p=2,q=1", MEDIAN, "BandwidthTrained", "where they are constants", fill_ruler},
    {"square", "core,adversarial", "n=9,p=5,q=5", "", "TransposedFeatures", "as many features of each", fill_related},
    {"two-samples", "core,adversarial", "n=2,p=3,q=3", "", "SmallNNaN",
     "n = 2: the smallest sample that has a variance", fill_related},
    {"four-samples", "core", "n=4,p=3,q=3", "estimator=unbiased", "SmallNNaN",
     "n = 4: the smallest that HSIC_1 is defined for; AntixK/PyTorch-Model-Compare#2, #4, #10", fill_related},
    {"negative", "adversarial", "n=8,p=2,q=2", "estimator=unbiased", "NegativeHsicRoot",
     "HSIC_1 of what is not related is below 0; AntixK/PyTorch-Model-Compare", fill_factorial},
    {"twice", "adversarial", "n=8,p=3,q=2", MEDIAN, "", "every sample twice: distances of 0 off the diagonal",
     fill_twice},
    {"clusters", "adversarial", "n=8,p=2,q=2", "kernel=rbf,bandwidth=median,sigma=1", "MedianRule",
     "the middle two of all distances are .5 and 4, and every rule has another bandwidth", fill_clusters},
    {"clusters-lower", "adversarial", "n=8,p=2,q=2", "kernel=rbf,bandwidth=median,sigma=1,middle=lower", "MedianRule",
     "the lower of them", fill_clusters},
    {"clusters-square", "adversarial", "n=8,p=2,q=2", "kernel=rbf,bandwidth=median,sigma=1,median=square", "MedianRule",
     "the mean of their squares", fill_clusters},
    {"clusters-without", "adversarial", "n=8,p=2,q=2", "kernel=rbf,bandwidth=median,sigma=1,diagonal=without",
     "MedianRule", "without the zeros of the diagonal both are 4", fill_clusters},
    {"whole", "adversarial", "n=8,p=2,q=2", "", "HsicDivisor,GradScale",
     "small whole numbers, exact in 8 bits: mistakes show in every format", fill_whole},
    {"whole-unbiased", "adversarial", "n=6,p=2,q=2", "estimator=unbiased", "HsicDivisor,BiasedSmallN",
     "the same without bias", fill_sixes},
    {"expansion-32", "adversarial", "n=8,p=2,q=2", "kernel=rbf,sigma=4", "GramExpansion",
     "|x|^2 + |y|^2 - 2 <x,y> in binary32 takes distances of 4 for 0", fill_expansion_32},
    {"expansion-64", "adversarial", "n=8,p=2,q=2", "kernel=rbf,sigma=4", "wide,GramExpansion", "the same in binary64",
     fill_expansion_64},
    {"far", "adversarial", "n=8,p=3,q=3", "kernel=rbf,sigma=1,estimator=unbiased", "",
     "kernels below 3e-3 off the diagonal: U-centring reads them as they are, not less one", fill_corners},
    {"far-debiased", "adversarial", "n=8,p=3,q=3", "kernel=rbf,sigma=1.5,estimator=debiased", "",
     "the same by U-centring", fill_corners},
    {"far-median", "adversarial", "n=8,p=3,q=3", "kernel=rbf,bandwidth=median,sigma=0.25,detach=no,estimator=unbiased",
     "", "below 1e-3 by a bandwidth that is trained", fill_corners},
    {"farther", "adversarial", "n=8,p=3,q=3", "kernel=rbf,sigma=0.25,estimator=unbiased", "wide",
     "below 1e-40, which binary32 has not", fill_corners},
    {"far-and-near", "adversarial", "n=8,p=3,q=3", "kernel=rbf,sigma=1,estimator=unbiased", "",
     "one of the two far, the other near 1", fill_corners_near},
    {"offset-1e3", "adversarial", "n=8,p=3,q=2", "kernel=rbf,sigma=1.5", "wide,GramExpansion", "features about 1e3",
     fill_off_1e3},
    {"offset-1e6", "adversarial", "n=8,p=3,q=2", MEDIAN, "wide,GramExpansion", "about 1e6", fill_off_1e6},
    {"offset-far", "adversarial", "n=8,p=3,q=2", MEDIAN ",estimator=unbiased", "wide,GramExpansion", "about 1e8",
     fill_off_far},
    {"linear-1e3", "adversarial", "n=8,p=3,q=2", "", "wide,Uncentred", "means before products", fill_off_1e3},
    {"large", "large", "n=48,p=12,q=8", "kernel=rbf,bandwidth=median,estimator=unbiased", "", "48 samples",
     fill_related},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- similarity.cka (K.9, K.11) ----------------------------------------------------------------------------------- */

static const op_param cka_param[] = {
    KERNEL,
    ESTIMATOR_PARAMETER,
    {"route", OP_CHOICE, "gram|features", "by kernels, or by moments in feature space (the linear kernel only)"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *cka_check(const op_case *c)
{
    const char *wrong = pair_sizes(c);
    if (!wrong) wrong = enough_samples(c);
    if (wrong) return wrong;
    if (op_is(c, "route", "features") && op_is(c, "kernel", "rbf"))
        return "route=features is for the linear kernel: the features of the other one have no finite number";
    return NULL;
}

static smoe_similarity meant_cka(const op_case *c)
{
    smoe_similarity how = similarity_meant(c);
    how.estimator = similarity_estimator(c);
    how.route = op_is(c, "route", "gram") ? SMOE_ROUTE_GRAM : SMOE_ROUTE_FEATURES;
    return how;
}

static smoe_status cka_forward(op_case *c)
{
    const smoe_similarity how = meant_cka(c);
    const size_t n = op_dim(c, 'n'), p = op_dim(c, 'p'), q = op_dim(c, 'q');
    double *work = op_room(smoe_cka_work(&how, n, p, q), sizeof *work);
    const smoe_status status = smoe_cka(&how, n, p, op_in(c, "x"), q, op_in(c, "y"), work, op_out(c, "cka"));
    free(work);
    return status;
}

static smoe_status cka_vjp(op_case *c)
{
    const smoe_similarity how = meant_cka(c);
    const size_t n = op_dim(c, 'n'), p = op_dim(c, 'p'), q = op_dim(c, 'q');
    double *work = op_room(smoe_cka_work(&how, n, p, q), sizeof *work);
    const smoe_status status = smoe_cka_vjp(&how, n, p, op_in(c, "x"), q, op_in(c, "y"), *op_cot(c, "cka"), work,
                                            op_grad(c, "x"), op_grad(c, "y"));
    free(work);
    return status;
}

static const op_spec cka_cases[] = {
    {"small", "smoke", "n=6,p=3,q=2", "", "", "a first look", fill_related},
    {"linear", "core", "n=12,p=4,q=3", "", "MissingRoot,UnbiasedForBiased", "Kornblith et al. 2019", fill_related},
    {"linear-features", "core", "n=12,p=4,q=3", "route=features", "MissingRoot", "|X^T Y|^2 / (|X^T X| |Y^T Y|)",
     fill_related},
    {"linear-shifted", "core", "n=10,p=3,q=3", "", "Uncentred,OneSideCentred", "features about 2 and -2", fill_shifted},
    {"features-shifted", "core", "n=10,p=3,q=3", "route=features", "Uncentred", "the same in feature space",
     fill_shifted},
    {"unbiased", "core", "n=12,p=4,q=3", "estimator=unbiased", "BiasedSmallN,KernelDiagonalKept", "without bias",
     fill_related},
    {"debiased", "core", "n=12,p=4,q=3", "estimator=debiased", "BiasedSmallN,KernelDiagonalKept",
     "the same by U-centring; Szekely and Rizzo 2014", fill_related},
    {"debiased-features", "core", "n=12,p=4,q=3", "estimator=debiased,route=features", "BiasedSmallN",
     "the same by moments", fill_related},
    {"unbiased-features", "core", "n=12,p=3,q=3", "estimator=unbiased,route=features", "BiasedSmallN",
     "the same by moments", fill_related},
    {"rbf", "core", "n=10,p=3,q=3", "kernel=rbf,sigma=1.5", "SquaredSigmaSlip,MissingRoot", "an absolute bandwidth",
     fill_related},
    {"rbf-unbiased", "core", "n=10,p=3,q=3", "kernel=rbf,sigma=1.5,estimator=unbiased", "BiasedSmallN", "without bias",
     fill_related},
    {"median", "core", "n=8,p=3,q=4", MEDIAN, "RbfAbsoluteSigma,MedianRule",
     "half the median distance, as in the published demonstration", fill_related},
    {"median-without", "core", "n=8,p=3,q=4", MEDIAN ",diagonal=without", "MedianRule", "without the diagonals",
     fill_related},
    {"median-lower", "core", "n=8,p=3,q=4", MEDIAN ",middle=lower", "MedianRule", "the lower middle", fill_related},
    {"median-square", "core", "n=8,p=3,q=4", MEDIAN ",median=square", "MedianRule", "of squared distances",
     fill_related},
    {"trained", "core", "n=8,p=2,q=1", MEDIAN ",detach=no", "BandwidthDetached", "the gradient through both bandwidths",
     fill_ruler},
    {"detached", "core", "n=8,p=2,q=1", MEDIAN, "BandwidthTrained", "where they are constants", fill_ruler},
    {"same", "core", "n=8,p=3,q=3", "", "", "x = y: 1, and a gradient of 0", fill_same},
    {"same-rbf", "core", "n=8,p=3,q=3", MEDIAN ",estimator=unbiased", "", "the same with another kernel", fill_same},
    {"square", "core", "n=8,p=5,q=5", "", "TransposedFeatures", "as many features of each", fill_related},
    {"rank-one", "core", "n=8,p=3,q=3", "", "", "one feature varies, the others are constant", fill_rank_one},
    {"two-samples", "core,adversarial", "n=2,p=3,q=3", "", "SmallNNaN",
     "n = 2: always 1, with a gradient of 0; giangdip2410/SimSMoE", fill_related},
    {"three-samples", "core", "n=3,p=3,q=3", "", "SmallNNaN,UnbiasedForBiased", "n = 3: where HSIC_1 divides by 0",
     fill_related},
    {"four-samples", "core", "n=4,p=2,q=2", "estimator=unbiased", "SmallNNaN",
     "n = 4: the smallest that HSIC_1 is defined for; AntixK/PyTorch-Model-Compare#2, #4, #10", fill_related},
    {"tenth", "core", "n=10,p=4,q=3", "kernel=rbf", "RbfFractionSigma",
     "an absolute bandwidth for features of scale .1: nearly the linear kernel; giangdip2410/SimSMoE", fill_tenth},
    {"four-of-sixteen", "adversarial", "n=4,p=16,q=16", "estimator=debiased", "BiasedSmallN",
     "4 independent samples of 16 features: biased, CKA is about .8", NULL},
    {"sixteen-of-sixteen", "adversarial", "n=16,p=16,q=16", "estimator=unbiased", "BiasedSmallN",
     "16 of them: about .5", NULL},
    {"four-biased", "adversarial", "n=4,p=16,q=16", "", "UnbiasedForBiased", "the biased form of the first", NULL},
    {"absolute", "adversarial", "n=10,p=16,q=16", "kernel=rbf,bandwidth=median", "RbfAbsoluteSigma",
     "independent features, .8 of the median distance; with .8 itself CKA is 1.0000 and the gradient 5e-7; "
     "giangdip2410/SimSMoE",
     NULL},
    {"negative", "adversarial", "n=8,p=2,q=2", "estimator=unbiased", "NegativeHsicRoot",
     "a CKA below 0, of which no root is taken; AntixK/PyTorch-Model-Compare", fill_factorial},
    {"negative-rbf", "adversarial", "n=8,p=2,q=2", "kernel=rbf,sigma=1.5,estimator=debiased", "NegativeHsicRoot",
     "the same with another kernel", fill_factorial},
    {"clusters", "adversarial", "n=8,p=2,q=2", "kernel=rbf,bandwidth=median,sigma=1", "MedianRule",
     "the middle two of all distances are .5 and 4, and every rule has another bandwidth", fill_clusters},
    {"clusters-lower", "adversarial", "n=8,p=2,q=2", "kernel=rbf,bandwidth=median,sigma=1,middle=lower", "MedianRule",
     "the lower of them", fill_clusters},
    {"clusters-square", "adversarial", "n=8,p=2,q=2", "kernel=rbf,bandwidth=median,sigma=1,median=square", "MedianRule",
     "the mean of their squares", fill_clusters},
    {"clusters-without", "adversarial", "n=8,p=2,q=2", "kernel=rbf,bandwidth=median,sigma=1,diagonal=without",
     "MedianRule", "without the zeros of the diagonal both are 4", fill_clusters},
    {"whole", "adversarial", "n=8,p=2,q=2", "", "MissingRoot,NormaliserDetached,OneSideDetached,GradScale",
     "small whole numbers, exact in 8 bits up to the ratio: mistakes show in every format", fill_whole},
    {"whole-features", "adversarial", "n=8,p=2,q=2", "route=features", "MissingRoot", "the same in feature space",
     fill_whole},
    {"whole-shifted", "adversarial", "n=8,p=2,q=2", "", "Uncentred,OneSideCentred", "the same with means of 3 and 4",
     fill_whole_shifted},
    {"whole-unbiased", "adversarial", "n=6,p=2,q=2", "estimator=unbiased", "BiasedSmallN,KernelDiagonalKept",
     "the same without bias", fill_sixes},
    {"whole-debiased", "adversarial", "n=6,p=2,q=2", "estimator=debiased", "BiasedSmallN,KernelDiagonalKept",
     "the same without bias", fill_sixes},
    {"whole-square", "adversarial", "n=8,p=4,q=4", "", "TransposedFeatures", "as many features of each", fill_whole},
    {"expansion-32", "adversarial", "n=8,p=2,q=2", "kernel=rbf,sigma=4", "GramExpansion",
     "|x|^2 + |y|^2 - 2 <x,y> in binary32 takes distances of 4 for 0", fill_expansion_32},
    {"expansion-64", "adversarial", "n=8,p=2,q=2", "kernel=rbf,sigma=4", "wide,GramExpansion", "the same in binary64",
     fill_expansion_64},
    {"far", "adversarial", "n=8,p=3,q=3", "kernel=rbf,sigma=1,estimator=unbiased", "",
     "kernels below 3e-3 off the diagonal: U-centring reads them as they are, not less one", fill_corners},
    {"far-debiased", "adversarial", "n=8,p=3,q=3", "kernel=rbf,sigma=1.5,estimator=debiased", "",
     "the same by U-centring", fill_corners},
    {"far-median", "adversarial", "n=8,p=3,q=3", "kernel=rbf,bandwidth=median,sigma=0.25,detach=no,estimator=unbiased",
     "", "below 1e-3 by a bandwidth that is trained", fill_corners},
    {"farther", "adversarial", "n=8,p=3,q=3", "kernel=rbf,sigma=0.7,estimator=unbiased", "",
     "below 1e-5: binary32 has their fourth powers still, but less one nothing of them", fill_corners},
    {"far-and-near", "adversarial", "n=8,p=3,q=3", "kernel=rbf,sigma=1,estimator=unbiased", "",
     "one of the two far, the other near 1", fill_corners_near},
    {"offset-1e3", "adversarial", "n=8,p=3,q=2", "kernel=rbf,sigma=1.5", "wide,GramExpansion", "features about 1e3",
     fill_off_1e3},
    {"offset-1e6", "adversarial", "n=8,p=3,q=2", MEDIAN, "wide,GramExpansion", "about 1e6", fill_off_1e6},
    {"offset-1e8", "adversarial", "n=8,p=3,q=2", MEDIAN, "wide,GramExpansion", "about 1e8, in steps of binary32",
     fill_off_1e8},
    {"offset-far", "adversarial", "n=8,p=3,q=2", MEDIAN, "wide,GramExpansion", "about 1e8 with a spread of 1",
     fill_off_far},
    {"linear-1e3", "adversarial", "n=8,p=3,q=2", "", "wide,Uncentred", "means before products", fill_off_1e3},
    {"linear-1e6", "adversarial", "n=8,p=3,q=2", "route=features", "wide,Uncentred", "means before products",
     fill_off_1e6},
    {"linear-1e8", "adversarial", "n=8,p=3,q=2", "estimator=unbiased", "wide,Uncentred", "means before products",
     fill_off_1e8},
    {"large", "large", "n=48,p=16,q=12", "", "", "48 samples", fill_related},
    {"large-rbf", "large", "n=48,p=16,q=12", "kernel=rbf,bandwidth=median,estimator=unbiased", "", "48 samples",
     fill_related},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- similarity.minibatch (K.12) ---------------------------------------------------------------------------------- */

static const op_param minibatch_param[] = {
    KERNEL,
    {"batch", OP_INT, "4", "samples of a batch: consecutive rows; divides n"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *minibatch_check(const op_case *c)
{
    const char *wrong = pair_sizes(c);
    if (wrong) return wrong;
    if (op_int(c, "batch") < 4) return "batch must be at least 4: HSIC_1 is divided by n (n - 3)";
    if (op_dim(c, 'n') % (size_t)op_int(c, "batch") != 0)
        return "batch must divide n: the means are over whole batches";
    return NULL;
}

static smoe_status minibatch_forward(op_case *c)
{
    const smoe_similarity how = similarity_meant(c);
    const size_t n = op_dim(c, 'n'), p = op_dim(c, 'p'), q = op_dim(c, 'q'), batch = (size_t)op_int(c, "batch");
    double *work = op_room(smoe_cka_minibatch_work(batch, p, q), sizeof *work);
    const smoe_status status =
        smoe_cka_minibatch(&how, n, batch, p, op_in(c, "x"), q, op_in(c, "y"), work, op_out(c, "cka"));
    free(work);
    return status;
}

static smoe_status minibatch_vjp(op_case *c)
{
    const smoe_similarity how = similarity_meant(c);
    const size_t n = op_dim(c, 'n'), p = op_dim(c, 'p'), q = op_dim(c, 'q'), batch = (size_t)op_int(c, "batch");
    double *work = op_room(smoe_cka_minibatch_work(batch, p, q), sizeof *work);
    const smoe_status status = smoe_cka_minibatch_vjp(&how, n, batch, p, op_in(c, "x"), q, op_in(c, "y"),
                                                      *op_cot(c, "cka"), work, op_grad(c, "x"), op_grad(c, "y"));
    free(work);
    return status;
}

static const op_spec minibatch_cases[] = {
    {"small", "smoke", "n=8,p=2,q=2", "", "", "a first look: two batches of four", fill_related},
    {"linear", "core", "n=24,p=3,q=2", "batch=8", "MinibatchMeanOfRatios,MinibatchWhole,MinibatchStrided,BiasedSmallN",
     "three batches; Nguyen et al. 2021", fill_related},
    {"rbf", "core", "n=24,p=3,q=3", "batch=8,kernel=rbf,sigma=1.5", "MinibatchMeanOfRatios,SquaredSigmaSlip",
     "an absolute bandwidth", fill_related},
    {"median", "core", "n=24,p=3,q=4", "batch=8," MEDIAN, "RbfAbsoluteSigma,MedianRule",
     "a bandwidth of each batch's own", fill_related},
    {"median-without", "core", "n=16,p=3,q=4", "batch=8,diagonal=without," MEDIAN, "MedianRule",
     "without the diagonals", fill_related},
    {"median-lower", "core", "n=16,p=3,q=4", "batch=8,middle=lower," MEDIAN, "MedianRule", "the lower middle",
     fill_related},
    {"median-square", "core", "n=16,p=3,q=4", "batch=8,median=square," MEDIAN, "MedianRule", "of squared distances",
     fill_related},
    {"trained", "core", "n=16,p=2,q=1", "batch=8,detach=no," MEDIAN, "BandwidthDetached",
     "the gradient through the bandwidths", fill_ruler},
    {"detached", "core", "n=16,p=2,q=1", "batch=8," MEDIAN, "BandwidthTrained", "where they are constants", fill_ruler},
    {"one-batch", "core", "n=8,p=3,q=2", "batch=8", "", "one batch: the unbiased CKA", fill_related},
    {"square", "core", "n=16,p=5,q=5", "batch=8", "TransposedFeatures", "as many features of each", fill_related},
    {"shifted", "core", "n=16,p=3,q=3", "batch=8", "KernelDiagonalKept", "features about 2 and -2", fill_shifted},
    {"negative", "adversarial", "n=16,p=2,q=2", "batch=8", "NegativeHsicRoot", "a CKA below 0", fill_factorial},
    {"fours", "adversarial", "n=16,p=8,q=8", "batch=4", "BiasedSmallN", "batches of 4 independent samples", NULL},
    {"clusters", "adversarial", "n=16,p=2,q=2", "batch=8,kernel=rbf,bandwidth=median,sigma=1", "MedianRule",
     "the middle two of all distances are .5 and 4, and every rule has another bandwidth", fill_clusters},
    {"clusters-lower", "adversarial", "n=16,p=2,q=2", "batch=8,kernel=rbf,bandwidth=median,sigma=1,middle=lower",
     "MedianRule", "the lower of them", fill_clusters},
    {"clusters-square", "adversarial", "n=16,p=2,q=2", "batch=8,kernel=rbf,bandwidth=median,sigma=1,median=square",
     "MedianRule", "the mean of their squares", fill_clusters},
    {"clusters-without", "adversarial", "n=16,p=2,q=2", "batch=8,kernel=rbf,bandwidth=median,sigma=1,diagonal=without",
     "MedianRule", "without the zeros of the diagonal both are 4", fill_clusters},
    {"whole", "adversarial", "n=12,p=2,q=2", "batch=6", "MissingRoot,MinibatchMeanOfRatios,MinibatchStrided,GradScale",
     "small whole numbers, exact in 8 bits up to the ratio", fill_sixes},
    {"whole-square", "adversarial", "n=6,p=4,q=4", "batch=6", "TransposedFeatures", "as many features of each",
     fill_sixes},
    {"expansion-32", "adversarial", "n=16,p=2,q=2", "batch=8,kernel=rbf,sigma=4", "GramExpansion",
     "|x|^2 + |y|^2 - 2 <x,y> in binary32 takes distances of 4 for 0", fill_expansion_32},
    {"expansion-64", "adversarial", "n=16,p=2,q=2", "batch=8,kernel=rbf,sigma=4", "wide,GramExpansion",
     "the same in binary64", fill_expansion_64},
    {"far", "adversarial", "n=16,p=3,q=3", "batch=8,kernel=rbf,sigma=1", "",
     "kernels below 3e-3 off the diagonal: U-centring reads them as they are, not less one", fill_corners},
    {"farther", "adversarial", "n=16,p=3,q=3", "batch=8,kernel=rbf,sigma=0.7", "",
     "below 1e-5: binary32 has their fourth powers still, but less one nothing of them", fill_corners},
    {"offset-1e6", "adversarial", "n=16,p=3,q=2", "batch=8," MEDIAN, "wide,GramExpansion", "features about 1e6",
     fill_off_1e6},
    {"linear-1e3", "adversarial", "n=16,p=3,q=2", "batch=8", "wide", "means before products", fill_off_1e3},
    {"trained-rulers", "adversarial", "n=8,p=1,q=1", "batch=8,detach=no," MEDIAN, "BandwidthDetached",
     "the gradient through the bandwidths, where no two distances are near a tie", fill_two_rulers},
    {"large", "large", "n=64,p=12,q=8", "batch=16", "", "four batches of 16", fill_related},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* --- similarity.cosine (K.13) ------------------------------------------------------------------------------------- */

static const op_tensor cosine_in[] = {
    {"x", "n,d", OP_INPUT, OP_DIFF, "one representation of each sample"},
    {"y", "n,d", OP_INPUT, OP_DIFF, "another representation, of the same width"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_tensor cosine_out[] = {
    {"value", "", OP_BOUNDED, OP_DIFF, "mean over the samples of the cosine, or of its magnitude"},
    {NULL, NULL, OP_INPUT, 0, NULL},
};
static const op_param cosine_param[] = {
    {"form", OP_CHOICE, "cosine|absolute", "the cosine, or its magnitude"},
    {NULL, OP_INT, NULL, NULL},
};

static const char *cosine_check(const op_case *c)
{
    if (op_dim(c, 'n') < 1) return "n must be at least 1: a mean over no samples is not defined";
    return op_dim(c, 'd') < 1 ? "d must be at least 1" : NULL;
}

static smoe_status cosine_forward(op_case *c)
{
    return (op_is(c, "form", "cosine") ? smoe_cosine : smoe_cosine_absolute)(
        op_dim(c, 'n'), op_dim(c, 'd'), op_in(c, "x"), op_in(c, "y"), op_out(c, "value"));
}

static smoe_status cosine_vjp(op_case *c)
{
    return (op_is(c, "form", "cosine") ? smoe_cosine_vjp : smoe_cosine_absolute_vjp)(
        op_dim(c, 'n'), op_dim(c, 'd'), op_in(c, "x"), op_in(c, "y"), *op_cot(c, "value"), op_grad(c, "x"),
        op_grad(c, "y"));
}

/* Rows of different lengths, related; d is the width of both. */
static void fill_lengths(op_case *c, op_rng *r)
{
    const size_t n = op_dim(c, 'n'), d = op_dim(c, 'd');
    op_fill_normal(r, 1, n * d, op_in(c, "x"));
    for (size_t i = 0; i < n * d; i++) {
        const double noise = op_normal(r), by = ldexp(1, (int)(i / d % 4) - 1);
        op_in(c, "y")[i] = op_representable(by * (op_in(c, "x")[i] + noise));
    }
    *op_cot(c, "value") = 1;
}

/* Cosines of both signs. */
static void fill_signs(op_case *c, op_rng *r)
{
    const size_t d = op_dim(c, 'd');
    fill_lengths(c, r);
    for (size_t i = 0; i < op_dim(c, 'n') * d; i++)
        if (i / d % 2) op_in(c, "y")[i] = -op_in(c, "y")[i];
}

static void fill_zero_rows(op_case *c, op_rng *r)
{
    const size_t d = op_dim(c, 'd');
    fill_signs(c, r);
    for (size_t k = 0; k < d; k++) op_in(c, "x")[k] = op_in(c, "y")[2 * d + k] = 0;
}

/* All of a row's features about 2. */
static void fill_both_shifted(op_case *c, op_rng *r)
{
    fill_lengths(c, r);
    for (size_t i = 0; i < op_dim(c, 'n') * op_dim(c, 'd'); i++) {
        op_in(c, "x")[i] = op_representable(op_in(c, "x")[i] + 2);
        op_in(c, "y")[i] = op_representable(op_in(c, "y")[i] + 2);
    }
}

static const op_spec cosine_cases[] = {
    {"small", "smoke", "n=4,d=3", "", "", "a first look", fill_lengths},
    {"random", "core", "n=8,d=6", "", "CosineFlattened,CosineSum,CosineUnnormalised", "rows of different lengths",
     fill_lengths},
    {"signs", "core", "n=8,d=6", "", "CosineSign", "cosines of both signs", fill_signs},
    {"absolute", "core", "n=8,d=6", "form=absolute", "CosineSign,CosineOfMean", "their magnitudes", fill_signs},
    {"shifted", "core", "n=8,d=4", "", "Centred", "all features about 2: no mean is taken away", fill_both_shifted},
    {"zero-rows", "core", "n=7,d=4", "", "CosineZeroRows", "rows of zeros count 0 and get no gradient", fill_zero_rows},
    {"zero-rows-absolute", "core,adversarial", "n=7,d=4", "form=absolute", "CosineZeroRows", "the same with magnitudes",
     fill_zero_rows},
    {"one-row", "core", "n=1,d=5", "form=absolute", "", "n = 1", fill_lengths},
    {"one-wide-row", "core", "n=6,d=1", "", "", "d = 1: cosines are 1 or -1, the gradient is 0", NULL},
    {"large", "large", "n=64,d=32", "form=absolute", "", "the size of a layer's outputs", fill_signs},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};

const op_record op_similarity[] = {
    {"similarity.kernel", "Kernel of representations", "K.1 K.2 K.3 K.4 K.5",
     "gram_ij = <x_i, x_j> or exp(-|x_i - x_j|^2 / (2 bandwidth)); centre=yes: H gram H, H = I - 11^T/n",
     "Kornblith et al. 2019, section 3: from memory, sure; the rules for the median are those of public code",
     "ref/similarity.c: smoe_gram, smoe_gram_centred, smoe_gram_linear, smoe_squared_distances, smoe_bandwidth_median, "
     "smoe_gram_rbf and their vjps",
     kernel_in, kernel_out, kernel_param, kernel_cases, kernel_check, kernel_forward, kernel_vjp},
    {"similarity.hsic", "Hilbert-Schmidt independence criterion", "K.6 K.7 K.8",
     "hsic = sum_ij (HKH)_ij (HLH)_ij / (n-1)^2, or HSIC_1 = sum_ij U(K)_ij U(L)_ij / (n (n-3))",
     "Gretton et al. 2005 (biased), Song et al. 2012, eq. (5) (unbiased): from memory, sure, and read in public code",
     "ref/similarity.c: smoe_hsic, smoe_hsic_vjp, smoe_hsic_biased, smoe_hsic_unbiased, smoe_hsic_debiased", pair_in,
     hsic_out, hsic_param, hsic_cases, hsic_check, hsic_forward, hsic_vjp},
    {"similarity.cka", "Centred kernel alignment", "K.9 K.10 K.11", "cka = HSIC(K,L) / sqrt(HSIC(K,K) HSIC(L,L))",
     "Kornblith et al. 2019, eq. (4): from memory, sure; its published numbers are met",
     "ref/similarity.c: smoe_cka, smoe_cka_vjp, smoe_moments_add, smoe_hsic_moments, smoe_cka_ratio", pair_in, cka_out,
     cka_param, cka_cases, cka_check, cka_forward, cka_vjp},
    {"similarity.minibatch", "Minibatch CKA", "K.12",
     "cka = mean_b HSIC_1(K_b,L_b) / sqrt(mean_b HSIC_1(K_b,K_b) mean_b HSIC_1(L_b,L_b)), batches of consecutive rows",
     "Nguyen et al. 2021, eq. (3): from memory, sure", "ref/similarity.c: smoe_cka_minibatch, smoe_cka_minibatch_vjp",
     pair_in, cka_out, minibatch_param, minibatch_cases, minibatch_check, minibatch_forward, minibatch_vjp},
    {"similarity.cosine", "Cosine of paired rows", "K.13",
     "value = (1/n) sum_i <x_i, y_i> / (|x_i| |y_i|), or of magnitudes",
     "the other losses of SimSMoE's code: read in it",
     "ref/similarity.c: smoe_cosine, smoe_cosine_absolute and their vjps", cosine_in, cosine_out, cosine_param,
     cosine_cases, cosine_check, cosine_forward, cosine_vjp},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
