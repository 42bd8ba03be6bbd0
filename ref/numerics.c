/* Numerics (spec/00-numerics.md).  What the functions promise is in numerics.h; here is how, and why so. */
#include "numerics.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#ifndef __FRAMAC__ /* Frama-C takes the elementary functions of (N.14) by their contracts, and fma by this one */
#include <mpfr.h>
#else
/*@ assigns \nothing; */
double fma(double x, double y, double z);
#endif

#if defined __FAST_MATH__ || (defined __FINITE_MATH_ONLY__ && __FINITE_MATH_ONLY__)
#error "smoeref needs IEEE 754 arithmetic as written (N.2): compile without -ffast-math and its parts"
#endif
#if FLT_RADIX != 2 || DBL_MANT_DIG != 53 || DBL_MAX_EXP != 1024
#error "smoeref needs a double that is IEEE 754 binary64 (N.1)"
#endif

#if !defined SMOE_PORTABLE_KERNEL && !defined __FRAMAC__ && defined __GNUC__
#if defined __x86_64__
#define X86_KERNELS
#include <immintrin.h>
#elif defined __aarch64__
#define NEON_KERNEL
#include <arm_neon.h>
#endif
#endif

#ifdef __FRAMAC__
#define UNROLL
#define ALWAYS_INLINE
#else
#define UNROLL        _Pragma("GCC unroll 8")
#define ALWAYS_INLINE __attribute__((always_inline)) inline
#endif

const char *smoe_strerror(smoe_status status)
{
    switch (status) {
    case SMOE_OK: return "no error";
    case SMOE_EDOM: return "a value is not finite or out of range";
    case SMOE_EINVAL: return "the sizes make no sense together";
    case SMOE_EOVRFLW: return "finite inputs overflowed the double format";
    case SMOE_EENV: return "the floating-point environment breaks the numerics policy";
    }
    return "unknown status";
}

#ifndef __FRAMAC__ /* WP knows no long double */
/* Does long double carry 64 bits and round to nearest, at this moment?  The x87 unit has a control word of its own, and
 * Valgrind computes with 53 bits (and reads constants so too: hence differences, not a constant to compare with). */
static bool extended_works(void)
{
#if LDBL_MANT_DIG == 64
    volatile long double one = 1, ulp = 0x1p-63L, half = 0x1p-64L;
    return ((one + ulp) + half) - one == 0x1p-62L && (one + half) - one == 0; /* ties, up to even and down to even */
#else
    return false;
#endif
}

/* Some C libraries have long double functions that are no better than double: then the low bits are 0. */
static bool extended_functions_work(void)
{
    volatile long double x = 0.5L;
    long double y[] = { expl(x), expm1l(x), logl(x), log1pl(x), tanhl(x), erfl(x), erfcl(x) };
    for (size_t i = 0; i < sizeof y / sizeof *y; i++)
        if (y[i] == (double)y[i]) return false;
    return true;
}

/* The first part of the policy that does not hold, as a sentence, or NULL.  The operands are volatile so that the
 * compiler cannot know the answers. */
static const char *policy_breach(void)
{
    volatile double one = 1, quarter = 0x1p-54, tiny = 0x1p-60, zero = 0, least = 0x1p-1074, small = 0x1p-1022;
    volatile double c = 0x1.0000002p0, cc = 0x1.0000004p0; /* c = 1 + 2^-27; its square is cc + 2^-54 */
    if (one + 2 * quarter != 1 || one + 3 * quarter != 0x1.0000000000001p0 || -one - 2 * quarter != -1)
        return "the rounding mode is not to nearest, ties to even (N.1)";
    if (small * 0.5 != 0x1p-1023) return "subnormal results are flushed to zero (N.1)";
    if (least * 0x1p52 != 0x1p-1022) return "subnormal operands are read as zero (N.1)";
    if ((one + tiny) - one != 0 || one + (2 * quarter + 0x1p-64) != 0x1.0000000000001p0)
        return "intermediate results carry excess precision, or sums are reordered (N.1, N.2)";
    double x = c, y = cc, contracted = x * x - y;
    if (contracted != 0) return "a product and a sum are contracted: compile with -ffp-contract=off (N.2)";
    if (!(1 / (zero + -zero) > 0) || isfinite(1 / zero) || zero / zero == zero / zero)
        return "signed zeros, infinities or NaN are not kept (N.2)";
    if (fma(c, c, -cc) != 0x1p-54 || fma(0x1.0000000000001p-53, one, 1) != 0x1.0000000000001p0 ||
        fma(0x1p-537, 0x1p-537 * one, zero) != 0x1p-1074)
        return "fma() rounds more than once (N.4)";
    if (extended_works() && !extended_functions_work())
        return "the C library's long double functions have the precision of double only (N.5)";
    return NULL;
}

smoe_status smoe_selftest(const char **what)
{
    const char *breach = policy_breach();
    if (what) *what = breach ? breach : "";
    return breach ? SMOE_EENV : SMOE_OK;
}
#endif

/*@ assigns \nothing;
    ensures \result <==> smoe_finite(x); */
static bool finite_number(double x)
{
    return -DBL_MAX <= x && x <= DBL_MAX; /* false for NaN */
}

//@ ghost void row_is_inside(size_t i, size_t n, size_t width) { }

bool smoe_all_finite(size_t n, const double *x)
{
    /*@ loop invariant 0 <= i <= n;
        loop invariant smoe_finites(x, i);
        loop assigns i; loop variant n - i; */
    for (size_t i = 0; i < n; i++)
        if (!finite_number(x[i])) return false;
    return true;
}

double smoe_sum(size_t n, const double *x)
{
    double s = 0;
    /*@ loop invariant 0 <= i <= n;
        loop assigns i, s; loop variant n - i; */
    for (size_t i = 0; i < n; i++)
        s += x[i]; /* (N.10) */
    return s;
}

/* The chains that other functions call most, written once and compiled twice: fma() is a call in the C library unless the
 * compiler may take the instruction.  The bits are the same. */
/*@ requires \valid_read(x + (0 .. n-1)) && \valid_read(y + (0 .. n-1));
    assigns \nothing; */
ALWAYS_INLINE static double dot(size_t n, const double *x, const double *y)
{
    double s = 0;
    /*@ loop invariant 0 <= i <= n;
        loop assigns i, s; loop variant n - i; */
    for (size_t i = 0; i < n; i++)
        s = fma(x[i], y[i], s); /* (N.11) */
    return s;
}

/*@ requires \valid_read(x + (0 .. n-1)) && \valid(y + (0 .. n-1));
    requires \separated(x + (0 .. n-1), y + (0 .. n-1));
    assigns y[0 .. n-1]; */
ALWAYS_INLINE static void axpy(size_t n, double a, const double *x, double *y)
{
    /*@ loop invariant 0 <= i <= n;
        loop assigns i, y[0 .. n-1]; loop variant n - i; */
    for (size_t i = 0; i < n; i++)
        y[i] = fma(a, x[i], y[i]); /* (N.12) */
}

#ifdef X86_KERNELS
__attribute__((target("fma"))) static double dot_by_instruction(size_t n, const double *x, const double *y)
{
    return dot(n, x, y);
}

__attribute__((target("fma"))) static void axpy_by_instruction(size_t n, double a, const double *x, double *y)
{
    axpy(n, a, x, y);
}
#endif

double smoe_dot(size_t n, const double *x, const double *y)
{
#ifdef X86_KERNELS
    if (__builtin_cpu_supports("fma")) return dot_by_instruction(n, x, y);
#endif
    return dot(n, x, y);
}

void smoe_axpy(size_t n, double a, const double *x, double *y)
{
#ifdef X86_KERNELS
    if (__builtin_cpu_supports("fma")) {
        axpy_by_instruction(n, a, x, y);
        return;
    }
#endif
    axpy(n, a, x, y);
}

/* The element (i,j) of a product whose factors are read with any strides, from the start s. (N.13) */
/*@ predicate in_reach{L}(double *a, integer l, integer s) = smoe_size(l*s) && \valid_read(a + l*s); */
/*@ requires \forall integer l; 0 <= l < k ==> in_reach(a, l, as) && in_reach(b, l, bs);
    assigns \nothing; */
static double chain(size_t k, const double *a, size_t as, const double *b, size_t bs, double s)
{
    /*@ loop invariant 0 <= l <= k;
        loop assigns l, s; loop variant k - l; */
    for (size_t l = 0; l < k; l++) {
        /*@ assert in_reach(a, l, as) && in_reach(b, l, bs); */
        s = fma(a[l * as], b[l * bs], s);
    }
    return s;
}

#define NAIVE(NAME, A_AT, A_STEP, B_AT, B_STEP, START)                                                 \
    void NAME(size_t m, size_t n, size_t k, const double *A, const double *B, double *C)               \
    {                                                                                                  \
        /*@ assert \forall integer l; 0 <= l < k ==> l*m + m <= k*m && l*n + n <= k*n; */              \
        /*@ loop invariant 0 <= i <= m; loop assigns i, C[0 .. m*n-1]; loop variant m - i; */          \
        for (size_t i = 0; i < m; i++) {                                                               \
            /*@ assert i*n + n <= m*n && i*k + k <= m*k; */                                            \
            /*@ loop invariant 0 <= j <= n; loop assigns j, C[0 .. m*n-1]; loop variant n - j; */      \
            for (size_t j = 0; j < n; j++) {                                                           \
                /*@ assert j*k + k <= n*k; */                                                          \
                C[i * n + j] = chain(k, A + (A_AT), A_STEP, B + (B_AT), B_STEP, START);                \
            }                                                                                          \
        }                                                                                              \
    }
NAIVE(smoe_matmul_naive_nn, i * k, 1, j, n, 0.0)
NAIVE(smoe_matmul_naive_nt, i * k, 1, j * k, 1, 0.0)
NAIVE(smoe_matmul_naive_tn, i, m, j, n, 0.0)
NAIVE(smoe_matmul_naive_nn_acc, i * k, 1, j, n, C[i * n + j])
NAIVE(smoe_matmul_naive_nt_acc, i * k, 1, j * k, 1, C[i * n + j])
NAIVE(smoe_matmul_naive_tn_acc, i, m, j, n, C[i * n + j])

/* A kernel adds to a tile of C what a strip of A (ROWS rows; element (r,l) at a[r ar + l al]) and a packed panel of B
 * (three vectors wide; element (l,j) at b[l COLS + j]) give, STEP by step.  The tile is held in ROWS x 3 vector registers,
 * loaded from C and stored to C: each element continues the chain that the panels before began, so l ascends throughout.
 * own is laid out as c, and only PULL looks at it. */
#define KERNEL(NAME, STEP, TARGET, ROWS, LANES, VECTOR, LOAD, STORE, SPLAT, FMA)                                   \
    TARGET static void NAME(size_t k, const double *a, size_t ar, size_t al, const double *b, const double *own,    \
                            double *c, size_t cr)                                                                   \
    {                                                                                                               \
        (void)own;                                                                                                  \
        VECTOR s[ROWS][3];                                                                                          \
        UNROLL for (size_t r = 0; r < ROWS; r++)                                                                    \
            UNROLL for (size_t v = 0; v < 3; v++) s[r][v] = LOAD(c + r * cr + v * LANES);                           \
        for (size_t l = 0; l < k; l++, a += al, b += 3 * LANES) {                                                   \
            VECTOR b0 = LOAD(b), b1 = LOAD(b + LANES), b2 = LOAD(b + 2 * LANES);                                    \
            UNROLL for (size_t r = 0; r < ROWS; r++) {                                                              \
                VECTOR x = SPLAT(a[r * ar]);                                                                        \
                s[r][0] = STEP(FMA, x, b0, LOAD(own + r * cr), s[r][0]);                                            \
                s[r][1] = STEP(FMA, x, b1, LOAD(own + r * cr + LANES), s[r][1]);                                    \
                s[r][2] = STEP(FMA, x, b2, LOAD(own + r * cr + 2 * LANES), s[r][2]);                                \
            }                                                                                                       \
        }                                                                                                           \
        UNROLL for (size_t r = 0; r < ROWS; r++)                                                                    \
            UNROLL for (size_t v = 0; v < 3; v++) STORE(c + r * cr + v * LANES, s[r][v]);                           \
    }
#define TIMES(FMA, x, y, own, s)   FMA(x, y, s)                   /* (N.13) */
#define SQUARED(FMA, x, y, own, s) FMA((x) - (y), (x) - (y), s)   /* (K.2) */
#define PULL(FMA, x, y, own, s)    FMA(x, (own) - (y), s)         /* (K.2') */

/* The three kernels of a machine: steps of a product, of squared distances, and of their gradient. */
#define KERNELS(NAME, ...)                    \
    KERNEL(NAME##_times, TIMES, __VA_ARGS__)     \
    KERNEL(NAME##_squared, SQUARED, __VA_ARGS__) \
    KERNEL(NAME##_pull, PULL, __VA_ARGS__)

#ifdef X86_KERNELS
KERNELS(avx512, __attribute__((target("avx512f"))), 8, 8, __m512d, _mm512_loadu_pd, _mm512_storeu_pd,
       _mm512_set1_pd, _mm512_fmadd_pd)
KERNELS(avx2, __attribute__((target("avx2,fma"))), 4, 4, __m256d, _mm256_loadu_pd, _mm256_storeu_pd,
       _mm256_set1_pd, _mm256_fmadd_pd)
#endif
#ifdef NEON_KERNEL
#define NEON_FMA(x, y, s) vfmaq_f64(s, x, y)
KERNELS(neon, , 8, 2, float64x2_t, vld1q_f64, vst1q_f64, vdupq_n_f64, NEON_FMA)
#endif
#define ONE_LOAD(p) (*(p))
#define ONE_STORE(p, x) (*(p) = (x))
#define ONE_SPLAT(x) (x)
KERNELS(portable, , 4, 1, double, ONE_LOAD, ONE_STORE, ONE_SPLAT, fma)

/* exp and expm1 in doubles, LANES at a time, proved rounded (spec, N.14, "The exponential in doubles"): with t = 2^(j/32),
 * e^x = 2^m t e^r, x = (32 m + j) ln 2 / 32 + r.  hi + lo is that, or that less one, up to `error`.  Where this leaves
 * the rounding open, and where x is outside [-708, 709], `otherwise` is asked.  y may be x. */
/* t, and then what t lacks; made by verify/strength/exponentials.c, which checks them */
static const double exp_table[64] = {
    0x1p+0, 0x1.059b0d3158574p+0, 0x1.0b5586cf9890fp+0, 0x1.11301d0125b51p+0,
    0x1.172b83c7d517bp+0, 0x1.1d4873168b9aap+0, 0x1.2387a6e756238p+0, 0x1.29e9df51fdee1p+0,
    0x1.306fe0a31b715p+0, 0x1.371a7373aa9cbp+0, 0x1.3dea64c123422p+0, 0x1.44e086061892dp+0,
    0x1.4bfdad5362a27p+0, 0x1.5342b569d4f82p+0, 0x1.5ab07dd485429p+0, 0x1.6247eb03a5585p+0,
    0x1.6a09e667f3bcdp+0, 0x1.71f75e8ec5f74p+0, 0x1.7a11473eb0187p+0, 0x1.82589994cce13p+0,
    0x1.8ace5422aa0dbp+0, 0x1.93737b0cdc5e5p+0, 0x1.9c49182a3f09p+0, 0x1.a5503b23e255dp+0,
    0x1.ae89f995ad3adp+0, 0x1.b7f76f2fb5e47p+0, 0x1.c199bdd85529cp+0, 0x1.cb720dcef9069p+0,
    0x1.d5818dcfba487p+0, 0x1.dfc97337b9b5fp+0, 0x1.ea4afa2a490dap+0, 0x1.f50765b6e454p+0,
    0x0p+0, 0x1.d73e2a475b465p-55, 0x1.8a62e4adc610bp-54, -0x1.6c51039449b3ap-54,
    -0x1.19041b9d78a76p-55, 0x1.e016e00a2643cp-54, 0x1.9b07eb6c70573p-54, 0x1.612e8afad1255p-55,
    0x1.6f46ad23182e4p-55, -0x1.63aeabf42eae2p-54, 0x1.ada0911f09ebcp-55, 0x1.89b7a04ef80dp-59,
    0x1.d4397afec42e2p-56, -0x1.07abe1db13cadp-55, 0x1.6324c054647adp-54, -0x1.383c17e40b497p-54,
    -0x1.bdd3413b26456p-54, -0x1.16e4786887a99p-55, -0x1.41577ee04992fp-55, -0x1.d4c1dd41532d8p-54,
    0x1.6e9f156864b27p-54, -0x1.75fc781b57ebcp-57, 0x1.c7c46b071f2bep-56, -0x1.d2f6edb8d41e1p-54,
    0x1.7a1cd345dcc81p-54, -0x1.5584f7e54ac3bp-56, 0x1.11065895048ddp-55, 0x1.503cbd1e949dbp-56,
    0x1.2ed02d75b3707p-55, -0x1.1a5cd4f184b5cp-54, -0x1.e9c23179c2893p-54, 0x1.9d3e12dd8a18bp-54,
};
typedef double scalar_function(double);

#define SOME_EXPONENTIALS(NAME, TARGET, LANES, VECTOR, BITS, LOAD, STORE, SPLAT, FMA, TO_BITS, FROM_BITS, LOOK_UP, AT_MOST)  \
    TARGET static inline void NAME##_some(bool less_one, scalar_function *otherwise, const double *x, double *y)           \
    {                                                                                                               \
        const VECTOR v = LOAD(x), shift = SPLAT(0x1.8p52), u = FMA(v, SPLAT(0x1.71547652b82fep+5), shift);          \
        const VECTOR k = u - shift, one = SPLAT(less_one ? 1 : 0); /* k is an integer, and the low bits of u */     \
        const BITS j = TO_BITS(u) & 31, sign = TO_BITS(v) & (less_one ? UINT64_C(1) << 63 : 0);                     \
        const VECTOR power = FROM_BITS(((TO_BITS(u) >> 5) + 1023) << 52), t = LOOK_UP(exp_table, j);            \
        const VECTOR t_low = LOOK_UP(exp_table + 32, j), inner = less_one ? power : SPLAT(1);                    \
        const VECTOR r_high = FMA(k, SPLAT(-0x1.62e42fefa39efp-6), v), r_low = k * SPLAT(-0x1.abc9e3b39803fp-61);   \
        const VECTOR r = r_high + r_low, r2 = r * r; /* what follows is e^r - 1 - r_high = q */                     \
        const VECTOR q6 = FMA(r, SPLAT(0x1.a01a01a01a01ap-13), SPLAT(0x1.6c16c16c16c17p-10)); /* 1/7!, 1/6! */      \
        const VECTOR q4 = FMA(r2, q6, FMA(r, SPLAT(0x1.1111111111111p-7), SPLAT(0x1.5555555555555p-5)));            \
        const VECTOR q2 = FMA(r2, q4, FMA(r, SPLAT(0x1.5555555555555p-3), SPLAT(0.5))), q = FMA(r2, q2, r_low);     \
        const VECTOR s = t * r_high, rest = FMA(t, q, FMA(t_low, r_high, t_low) + FMA(t, r_high, -s));              \
        const VECTOR c = t * inner - one, minus = c - t * inner; /* c and c_low are the exact difference */         \
        const VECTOR c_low = (t * inner - (c - minus)) - (one + minus), h = c + s * inner;                          \
        const VECTOR l = (s * inner - (h - c)) + FMA(inner, rest, c_low), hi = h + l, lo = l - (hi - h);            \
        const VECTOR size = FROM_BITS(TO_BITS(k) & ~(UINT64_C(1) << 63));                                           \
        const VECTOR noise = FMA(size, SPLAT(less_one ? 0x1p-100 : 0), SPLAT(less_one ? 0 : 0x1p-85)); \
        const VECTOR error = FMA(FMA(r2, SPLAT(0x1p-49), noise), inner, noise);                                     \
        const VECTOR gap = (hi + (lo + error)) - (hi + (lo - error)), outer = less_one ? SPLAT(1) : power; \
        const VECTOR result = FROM_BITS(TO_BITS(hi * outer) | sign); /* expm1 has the sign of x, if x = -0 too */       \
        const unsigned all = (1U << LANES) - 1;                                                                     \
        const unsigned open =                                                                                       \
            all & ~(AT_MOST(gap, SPLAT(0)) & AT_MOST(SPLAT(-708), v) & AT_MOST(v, SPLAT(709)));                     \
        double argument[LANES];                                                                                     \
        if (open) STORE(argument, v);                                                                               \
        STORE(y, result);                                                                                           \
        for (unsigned i = 0; open >> i; i++)                                                                        \
            if (open >> i & 1) y[i] = otherwise(argument[i]);                                                       \
    }

#define EXPONENTIALS(NAME, TARGET, LANES, ...) \
    SOME_EXPONENTIALS(NAME, TARGET, LANES, __VA_ARGS__) \
    TARGET static void NAME(bool less_one, scalar_function *otherwise, size_t n, const double *x, double *y)        \
    {                                                                                                               \
        size_t i = 0;                                                                                               \
        for (; n - i >= LANES; i += LANES) NAME##_some(less_one, otherwise, x + i, y + i);                          \
        if (i == n) return;                                                                                         \
        double last[LANES] = { 0 };                                                                                 \
        memcpy(last, x + i, (n - i) * sizeof *x);                                                                   \
        NAME##_some(less_one, otherwise, last, last);                                                               \
        memcpy(y + i, last, (n - i) * sizeof *y);                                                                   \
    }

static inline uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline double from_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#define ONE_LOOK_UP(table, j) ((table)[j])
#define ONE_AT_MOST(a, b)     ((a) <= (b) ? 1U : 0U)
#ifdef X86_KERNELS
typedef uint64_t eight_bits __attribute__((vector_size(64)));
#define BITS_8(x)           ((eight_bits)(x))
#define DOUBLES_8(b)        ((__m512d)(b))
#define PERMUTED(table, j)  _mm512_permutex2var_pd(_mm512_loadu_pd(table), (__m512i)(j), _mm512_loadu_pd((table) + 8))
#define LOOK_UP_8(table, j)                                                                              \
    _mm512_mask_blend_pd(_mm512_test_epi64_mask((__m512i)(j), _mm512_set1_epi64(16)), PERMUTED(table, j), \
                         PERMUTED((table) + 16, j))
#define AT_MOST_8(a, b)     ((unsigned)_mm512_cmp_pd_mask(a, b, _CMP_LE_OQ))
EXPONENTIALS(avx512_exponential, __attribute__((target("avx512f"))), 8, __m512d, eight_bits, _mm512_loadu_pd,
            _mm512_storeu_pd, _mm512_set1_pd, _mm512_fmadd_pd, BITS_8, DOUBLES_8, LOOK_UP_8, AT_MOST_8)
typedef uint64_t four_bits __attribute__((vector_size(32)));
#define BITS_4(x)           ((four_bits)(x))
#define DOUBLES_4(b)        ((__m256d)(b))
#define LOOK_UP_4(table, j) _mm256_i64gather_pd((table), (__m256i)(j), 8)
#define AT_MOST_4(a, b)     ((unsigned)_mm256_movemask_pd(_mm256_cmp_pd(a, b, _CMP_LE_OQ)))
EXPONENTIALS(avx2_exponential, __attribute__((target("avx2,fma"))), 4, __m256d, four_bits, _mm256_loadu_pd,
            _mm256_storeu_pd, _mm256_set1_pd, _mm256_fmadd_pd, BITS_4, DOUBLES_4, LOOK_UP_4, AT_MOST_4)
SOME_EXPONENTIALS(fma_exponential, __attribute__((target("fma"))), 1, double, uint64_t, ONE_LOAD, ONE_STORE, ONE_SPLAT,
            __builtin_fma, bits_of, from_bits, ONE_LOOK_UP, ONE_AT_MOST)
#endif
EXPONENTIALS(portable_exponential, , 1, double, uint64_t, ONE_LOAD, ONE_STORE, ONE_SPLAT, fma, bits_of, from_bits,
            ONE_LOOK_UP, ONE_AT_MOST)
#define neon_exponential portable_exponential

typedef void tile_function(size_t k, const double *a, size_t ar, size_t al, const double *b, const double *own,
                           double *c, size_t cr);
typedef struct {
    const char *name;
    size_t rows, cols; /* the tile: at most MAX_ROWS x MAX_COLS */
    tile_function *times, *squared, *pull;
    void (*exponential)(bool less_one, scalar_function *otherwise, size_t n, const double *x, double *y);
} kernel;
#define PARTS(NAME) NAME##_times, NAME##_squared, NAME##_pull, NAME##_exponential
enum { MAX_ROWS = 8, MAX_COLS = 24 };

/* The kernel of that number among those that this machine can run; false, and the last one, beyond them. */
static bool kernel_number(size_t number, kernel *t)
{
#ifdef X86_KERNELS
    *t = (kernel){ "avx512", 8, 24, PARTS(avx512) };
    if (__builtin_cpu_supports("avx512f") && number-- == 0) return true;
    *t = (kernel){ "avx2", 4, 12, PARTS(avx2) };
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && number-- == 0) return true;
#endif
#ifdef NEON_KERNEL
    *t = (kernel){ "neon", 8, 6, PARTS(neon) };
    if (number-- == 0) return true;
#endif
    *t = (kernel){ "portable", 4, 3, PARTS(portable) };
    return number == 0;
}

const char *smoe_matmul_kernel(size_t number)
{
    kernel t;
    return kernel_number(number, &t) ? t.name : NULL;
}

/* A factor whose element (r,l) is at p[r step + l deep]; l counts along the chain. */
typedef struct {
    const double *p;
    size_t step, deep;
} factor;

/* Copies `count` rows of a factor, with zeros up to `width`: out[l width + r]. */
static void pack(size_t width, size_t count, size_t k, factor f, double *out)
{
    if (count < width) memset(out, 0, k * width * sizeof *out);
    if (f.step == 1)
        for (size_t l = 0; l < k; l++)
            memcpy(out + l * width, f.p + l * f.deep, count * sizeof *out);
    else
        for (size_t r = 0; r < count; r++)
            for (size_t l = 0; l < k; l++)
                out[l * width + r] = f.p[r * f.step + l * f.deep];
}

/* What is done with every tile; own is laid out as C, NULL unless it is looked at. */
typedef struct {
    size_t rows, cols;
    tile_function *run;
    const double *own;
} work_on_tiles;

/* A tile at the edge: the kernel computes a whole one, of which rows x cols are wanted. */
static void edge(const work_on_tiles *t, size_t rows, size_t cols, size_t k, factor a, const double *b,
                 const double *own, double *c, size_t cr)
{
    double whole[MAX_ROWS * MAX_COLS] = { 0 }, own_whole[MAX_ROWS * MAX_COLS] = { 0 };
    for (size_t i = 0; i < rows; i++) {
        memcpy(whole + i * t->cols, c + i * cr, cols * sizeof *c);
        if (own) memcpy(own_whole + i * t->cols, own + i * cr, cols * sizeof *own);
    }
    t->run(k, a.p, a.step, a.deep, b, own_whole, whole, t->cols);
    for (size_t i = 0; i < rows; i++)
        memcpy(c + i * cr, whole + i * t->cols, cols * sizeof *c);
}

/* The blocks, chosen to fit the caches and a modest stack: DEPTH steps of the chain at a time; a panel of B (48 KiB)
 * stays near while HEIGHT rows of A pass by.  Rows of A that are not contiguous are packed first (96 KiB). */
enum { DEPTH = 256, HEIGHT = 256, PACKED = 48 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* One block: m rows of A, k <= DEPTH steps. */
static void block(const work_on_tiles *t, size_t m, size_t n, size_t k, factor A, factor B, const double *own,
                  double *C, size_t cr)
{
    double strips[PACKED * DEPTH], panel[MAX_COLS * DEPTH];
    size_t packed = A.deep == 1 ? m - m % t->rows : 0; /* rows from here on are packed: an incomplete strip, or all */
    for (size_t i = packed; i < m; i += t->rows)
        pack(t->rows, least(t->rows, m - i), k, (factor){ A.p + i * A.step, A.step, A.deep },
             strips + (i - packed) * k);
    for (size_t j = 0; j < n; j += t->cols) {
        size_t cols = least(t->cols, n - j);
        pack(t->cols, cols, k, (factor){ B.p + j * B.step, B.step, B.deep }, panel);
        for (size_t i = 0; i < m; i += t->rows) {
            size_t rows = least(t->rows, m - i);
            factor a = i < packed ? (factor){ A.p + i * A.step, A.step, A.deep }
                                  : (factor){ strips + (i - packed) * k, 1, t->rows };
            const double *o = own ? own + i * cr + j : C; /* whatever may be read, if it is not looked at */
            if (rows == t->rows && cols == t->cols)
                t->run(k, a.p, a.step, a.deep, panel, o, C + i * cr + j, cr);
            else
                edge(t, rows, cols, k, a, panel, own ? o : NULL, C + i * cr + j, cr);
        }
    }
}

/* C += A B (or what else the tiles do), block by block; the blocks of one element come in ascending order of l. */
static void product(const work_on_tiles *t, size_t m, size_t n, size_t k, factor A, factor B, double *C, size_t cr)
{
    size_t height = A.deep == 1 ? HEIGHT : PACKED;
    for (size_t l = 0; l < k; l += DEPTH)
        for (size_t i = 0; i < m; i += height)
            block(t, least(height, m - i), n, least(DEPTH, k - l),
                  (factor){ A.p + i * A.step + l * A.deep, A.step, A.deep },
                  (factor){ B.p + l * B.deep, B.step, B.deep }, t->own ? t->own + i * cr : NULL, C + i * cr, cr);
}

void smoe_matmul_strided_acc(size_t number, size_t m, size_t n, size_t k, const double *A, size_t ai, size_t al,
                             const double *B, size_t bl, size_t bj, double *C)
{
    kernel t;
    kernel_number(number, &t);
    const work_on_tiles times = { t.rows, t.cols, t.times, NULL };
    product(&times, m, n, k, (factor){ A, ai, al }, (factor){ B, bj, bl }, C, n);
}

void smoe_distances_acc(size_t number, size_t m, size_t n, size_t k, const double *A, const double *B, double *C,
                        size_t cr)
{
    kernel t;
    kernel_number(number, &t);
    const work_on_tiles squared = { t.rows, t.cols, t.squared, NULL };
    product(&squared, m, n, k, (factor){ A, k, 1 }, (factor){ B, k, 1 }, C, cr);
}

void smoe_pull_acc(size_t number, size_t m, size_t n, size_t k, const double *W, const double *A, const double *B,
                   double *C)
{
    kernel t;
    kernel_number(number, &t);
    const work_on_tiles pull = { t.rows, t.cols, t.pull, A };
    product(&pull, m, n, k, (factor){ W, k, 1 }, (factor){ B, 1, n }, C, n);
}

/*@ requires \valid(x + (0 .. n-1));
    assigns x[0 .. n-1]; */
static void zero(size_t n, double *x)
{
    /*@ loop invariant 0 <= i <= n;
        loop assigns i, x[0 .. n-1]; loop variant n - i; */
    for (size_t i = 0; i < n; i++)
        x[i] = 0;
}

void smoe_matmul_nn_acc(size_t m, size_t n, size_t k, const double *A, const double *B, double *C)
{
    /*@ assert \forall integer i; 0 <= i < m ==> i*k + k <= m*k; */
    /*@ assert \forall integer l; 0 <= l < k ==> l*n + n <= k*n; */
    smoe_matmul_strided_acc(0, m, n, k, A, k, 1, B, n, 1, C);
}

void smoe_matmul_nt_acc(size_t m, size_t n, size_t k, const double *A, const double *B, double *C)
{
    /*@ assert \forall integer i; 0 <= i < m ==> i*k + k <= m*k; */
    /*@ assert \forall integer j; 0 <= j < n ==> j*k + k <= n*k; */
    smoe_matmul_strided_acc(0, m, n, k, A, k, 1, B, 1, k, C);
}

void smoe_matmul_tn_acc(size_t m, size_t n, size_t k, const double *A, const double *B, double *C)
{
    /*@ assert \forall integer l; 0 <= l < k ==> l*m + m <= k*m && l*n + n <= k*n; */
    smoe_matmul_strided_acc(0, m, n, k, A, 1, m, B, n, 1, C);
}

void smoe_matmul_nn(size_t m, size_t n, size_t k, const double *A, const double *B, double *C)
{
    zero(m * n, C);
    smoe_matmul_nn_acc(m, n, k, A, B, C);
}

void smoe_matmul_nt(size_t m, size_t n, size_t k, const double *A, const double *B, double *C)
{
    zero(m * n, C);
    smoe_matmul_nt_acc(m, n, k, A, B, C);
}

void smoe_matmul_tn(size_t m, size_t n, size_t k, const double *A, const double *B, double *C)
{
    zero(m * n, C);
    smoe_matmul_tn_acc(m, n, k, A, B, C);
}

/* --- (N.14) correctly rounded functions --- */

#ifndef __FRAMAC__
typedef long double long_double_function(long double);
typedef int mpfr_function(mpfr_ptr, mpfr_srcptr, mpfr_rnd_t);

/* By MPFR alone: rounded to 53 bits, and from there to the coarser grid of the subnormals with the help of the
 * direction of the first rounding.  MPFR's exponent range and flags belong to the caller and are given back. */
static double by_mpfr(mpfr_function *f, double x)
{
    mpfr_exp_t emin = mpfr_get_emin(), emax = mpfr_get_emax();
    mpfr_flags_t flags = mpfr_flags_save();
    mpfr_set_emin(-1073); /* MPFR's significands lie in [1/2,1): 2^-1074 is 1/2 * 2^-1073 */
    mpfr_set_emax(1024);
    MPFR_DECL_INIT(v, 53);
    MPFR_DECL_INIT(y, 53);
    mpfr_set_d(v, x, MPFR_RNDN);
    int direction = f(y, v, MPFR_RNDN);
    mpfr_subnormalize(y, direction, MPFR_RNDN);
    double r = mpfr_get_d(y, MPFR_RNDN);
    mpfr_set_emin(emin);
    mpfr_set_emax(emax);
    mpfr_flags_restore(flags, MPFR_FLAGS_ALL);
    return r;
}

/* Ziv's test: the long double value is off by `units` of its last place at most; if the whole interval rounds to one
 * double, that is the answer, and otherwise MPFR is asked.  Infinities and NaN fail the test.  Returning the lower end
 * keeps the sign of a zero. */
static double rounded_within(int units, long_double_function *wide, mpfr_function *exact, double x)
{
    if (extended_works()) {
        long double y = wide(x), error = fabsl(y) * (0x1p-63L * (long double)(units + 1));
        double low = (double)(y - error), high = (double)(y + error);
        if (low == high) return low;
    }
    return by_mpfr(exact, x);
}

/* The C library's documented errors are 5 and less. */
static double rounded(long_double_function *wide, mpfr_function *exact, double x)
{
    return rounded_within(15, wide, exact, x);
}

/* What the exponential in doubles leaves open. */
static double exp_otherwise(double x)
{
    return x < -746 ? 0 : rounded(expl, mpfr_exp, x); /* e^-746 < 2^-1076 */
}

static double expm1_otherwise(double x)
{
    return x < -708 ? -1 : rounded(expm1l, mpfr_expm1, x);
}

void smoe_exponential_on(size_t number, bool less_one, size_t n, const double *x, double *y)
{
    kernel t;
    kernel_number(number, &t);
    t.exponential(less_one, less_one ? expm1_otherwise : exp_otherwise, n, x, y);
}

void smoe_exp_many(size_t n, const double *x, double *y)
{
    smoe_exponential_on(0, false, n, x, y); /* (N.14) */
}

void smoe_expm1_many(size_t n, const double *x, double *y)
{
    smoe_exponential_on(0, true, n, x, y); /* (N.14) */
}

/* One number.  In doubles only where fma is an instruction; the bits are the same. */
static double one_exponential(bool less_one, scalar_function *otherwise, double x)
{
    double y = 0;
#ifdef X86_KERNELS
    if (!__builtin_cpu_supports("fma")) return otherwise(x);
    fma_exponential_some(less_one, otherwise, &x, &y);
#elif defined FP_FAST_FMA
    portable_exponential_some(less_one, otherwise, &x, &y);
#else
    (void)less_one;
    y = otherwise(x);
#endif
    return y;
}

double smoe_exp(double x)
{
    return one_exponential(false, exp_otherwise, x);
}

double smoe_expm1(double x)
{
    return one_exponential(true, expm1_otherwise, x);
}

double smoe_log(double x)
{
    return rounded_within(3, logl, mpfr_log, x); /* documented: 1 */
}

double smoe_log1p(double x)
{
    return rounded(log1pl, mpfr_log1p, x);
}

double smoe_tanh(double x)
{
    return rounded(tanhl, mpfr_tanh, x);
}

double smoe_erf(double x)
{
    return rounded(erfl, mpfr_erf, x);
}

double smoe_erfc(double x)
{
    return rounded(erfcl, mpfr_erfc, x);
}

#endif

double smoe_exp_deriv(double x)
{
    return smoe_exp(x);
}

double smoe_expm1_deriv(double x)
{
    return smoe_exp(x);
}

double smoe_log_deriv(double x)
{
    return 1 / x;
}

double smoe_log1p_deriv(double x)
{
    return 1 / (1 + x);
}

double smoe_tanh_deriv(double x)
{
    return 4 * smoe_sigmoid_deriv(2 * x);
}

/* e^(-c x^2), c = 1 or 1/2.  x^2 = q + r: the exponential would multiply the rounding of q by c x^2. */
/*@ assigns \nothing; */
static double gaussian(double c, double x)
{
    if (fabs(x) > 40) return 0; /* e^-800 is far below the least subnormal, and x*x might overflow */
    double q = x * x, r = fma(x, x, -q), e = smoe_exp(-c * q);
    return fma(e, -c * r, e);
}

double smoe_erf_deriv(double x)
{
    return 0x1.20dd750429b6dp+0 * gaussian(1, x); /* 2/sqrt(pi) */
}

double smoe_erfc_deriv(double x)
{
    return -smoe_erf_deriv(x);
}

/* --- (N.15) to (N.21) functions built on them --- */

/* sigmoid(z) and sigmoid(-z) from one exponential that cannot overflow; neither is found as 1 less the other. */
/*@ requires \valid(positive) && \valid(negative);
    assigns *positive, *negative; */
static void sigmoids(double z, double *positive, double *negative)
{
    double e = smoe_exp(-fabs(z)), large = 1 / (1 + e), small = e / (1 + e);
    *positive = z >= 0 ? large : small;
    *negative = z >= 0 ? small : large;
}

double smoe_sigmoid(double z)
{
    double e = smoe_exp(-fabs(z));
    return (z >= 0 ? 1 : e) / (1 + e); /* (N.15) */
}

double smoe_sigmoid_deriv(double z)
{
    double e = smoe_exp(-fabs(z)); /* the derivative is even */
    return e / ((1 + e) * (1 + e)); /* (N.15) */
}

double smoe_softplus(double z)
{
    return smoe_log1p(smoe_exp(-fabs(z))) + (z > 0 ? z : 0); /* (N.16) */
}

double smoe_softplus_deriv(double z)
{
    return smoe_sigmoid(z); /* (N.16) */
}

double smoe_silu(double z)
{
    return z * smoe_sigmoid(z); /* (N.17) */
}

double smoe_silu_deriv(double z)
{
    double S, R;
    sigmoids(z, &S, &R);
    return S * fma(z, R, 1); /* (N.17) */
}

double smoe_normal_pdf(double x)
{
    static const double inv_sqrt_2pi = 0x1.9884533d43651p-2; /* 1/sqrt(2 pi) */
    return gaussian(0.5, x) * inv_sqrt_2pi; /* (N.21) */
}

double smoe_normal_pdf_deriv(double x)
{
    return -x * smoe_normal_pdf(x); /* (N.21) */
}

double smoe_normal_cdf(double x)
{
    /* 1/sqrt(2) = c + d.  -x/sqrt(2) = t + u: erfc would multiply the rounding of t by 2 t^2, so u enters through the
     * derivative, of which exp(-t^2)/sqrt(pi) = sqrt(2) phi(x) to first order. */
    static const double c = 0x1.6a09e667f3bcdp-1, d = -0x1.bdd3413b26456p-55, sqrt2 = 0x1.6a09e667f3bcdp+0;
    double t = -x * c, u = fma(-x, c, -t) - x * d;
    return fma(-u * sqrt2, smoe_normal_pdf(x), 0.5 * smoe_erfc(t)); /* (N.20) */
}

double smoe_normal_cdf_deriv(double x)
{
    return smoe_normal_pdf(x); /* (N.20) */
}

double smoe_gelu(double x)
{
    return x * smoe_normal_cdf(x); /* (N.18) */
}

double smoe_gelu_deriv(double x)
{
    return fma(x, smoe_normal_pdf(x), smoe_normal_cdf(x)); /* (N.18) */
}

/* v = 2u = 2 sqrt(2/pi) (x + 0.044715 x^3), so that (1 + tanh u)/2 = sigmoid(v), which does not cancel for u < 0. */
static const double two_sqrt_2_over_pi = 0x1.9884533d43651p+0, gelu_cubic = 0.044715;

/*@ assigns \nothing; */
static double gelu_tanh_v(double x)
{
    return two_sqrt_2_over_pi * fma(gelu_cubic * x, x * x, x);
}

double smoe_gelu_tanh(double x)
{
    return x * smoe_sigmoid(gelu_tanh_v(x)); /* (N.19) */
}

double smoe_gelu_tanh_deriv(double x)
{
    double S, R, v = gelu_tanh_v(x);
    sigmoids(v, &S, &R);
    if (S == 0 || R == 0) return S; /* saturated, and v' might be infinite */
    double dv = two_sqrt_2_over_pi * fma(3 * gelu_cubic * x, x, 1);
    return S * fma(x * R, dv, 1); /* (N.19) */
}

/* --- (N.22) to (N.25) functions of a vector --- */

/*@ requires N > 0 && \valid_read(z + (0 .. N-1));
    assigns \nothing; */
static double maximum(size_t N, const double *z)
{
    double m = z[0];
    /*@ loop invariant 1 <= i <= N;
        loop assigns i, m; loop variant N - i; */
    for (size_t i = 1; i < N; i++)
        if (z[i] > m) m = z[i];
    return m;
}

smoe_status smoe_softmax(size_t N, const double *z, double *p)
{
    if (N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(N, z)) return SMOE_EDOM;
    double m = maximum(N, z);
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, p[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        p[i] = smoe_exp(z[i] - m);
    double sum = smoe_sum(N, p);
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, p[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        p[i] = p[i] / sum; /* (N.22) */
    return SMOE_OK;
}

smoe_status smoe_softmax_vjp(size_t N, const double *p, const double *dp, double *dz)
{
    if (N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(N, p) || !smoe_all_finite(N, dp)) return SMOE_EDOM;
    double mean = smoe_dot(N, p, dp);
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, dz[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        dz[i] = p[i] * (dp[i] - mean); /* (N.22) */
    return smoe_all_finite(N, dz) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_logsumexp(size_t N, const double *z, double *lse)
{
    if (N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(N, z)) return SMOE_EDOM;
    double m = maximum(N, z), sum = 0;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, sum; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        sum += smoe_exp(z[i] - m);
    *lse = m + smoe_log(sum); /* (N.23) */
    return SMOE_OK;
}

smoe_status smoe_logsumexp_vjp(size_t N, const double *z, double lse, double dlse, double *dz)
{
    if (N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(N, z) || !finite_number(lse) || !finite_number(dlse)) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, dz[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        dz[i] = dlse * smoe_exp(z[i] - lse); /* (N.23) */
    return smoe_all_finite(N, dz) ? SMOE_OK : SMOE_EOVRFLW;
}

/* The least e >= -1023 with m < 2^e.  2^1023 is the largest scale there is, and lifts every subnormal far enough. */
/*@ assigns \nothing;
    ensures -1023 <= \result <= 1024; */
static int exponent_above(double m)
{
    int e;
    frexp(m, &e);
    return e < -1023 ? -1023 : e;
}

/*@ assigns \nothing; */
static double two_to(int e)
{
    return ldexp(1, e);
}

/*@ assigns \nothing; */
static double scaled_root(double s, int e)
{
    return ldexp(sqrt(s), e);
}

smoe_status smoe_norm(size_t d, const double *x, double *norm)
{
    if (!smoe_all_finite(d, x)) return SMOE_EDOM;
    double m = 0;
    /*@ loop invariant 0 <= i <= d;
        loop assigns i, m; loop variant d - i; */
    for (size_t i = 0; i < d; i++)
        if (fabs(x[i]) > m) m = fabs(x[i]);
    int e = exponent_above(m);
    double scale = two_to(-e), s = 0;
    /*@ loop invariant 0 <= i <= d;
        loop assigns i, s; loop variant d - i; */
    for (size_t i = 0; i < d; i++)
        s = fma(x[i] * scale, x[i] * scale, s);
    *norm = scaled_root(s, e); /* (N.24) */
    return finite_number(*norm) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_norm_vjp(size_t d, const double *x, double norm, double dnorm, double *dx)
{
    if (!smoe_all_finite(d, x) || !finite_number(norm) || norm < 0 || !finite_number(dnorm)) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= d;
        loop assigns i, dx[0 .. d-1]; loop variant d - i; */
    for (size_t i = 0; i < d; i++)
        dx[i] = norm > 0 ? dnorm * (x[i] / norm) : 0; /* (N.24) */
    return smoe_all_finite(d, dx) ? SMOE_OK : SMOE_EOVRFLW;
}

/* Puts i, higher than all indices there, into the ordered list index[0 .. end-1], and says where. */
/*@ requires \valid(index + (0 .. end));
    requires \valid_read(s + i);
    requires \forall integer a; 0 <= a < end ==> \valid_read(s + index[a]);
    requires \forall integer a; 0 <= a < end ==> \separated(s + index[a], index + (0 .. end));
    requires \separated(s + i, index + (0 .. end));
    requires \forall integer a; 0 <= a < end ==> index[a] < i;
    requires \forall integer a, b; 0 <= a < b < end ==> smoe_before(s, index[a], index[b]);
    assigns index[0 .. end];
    ensures \result <= end && index[\result] == i;
    ensures \forall integer a; 0 <= a < \result ==> index[a] == \old(index[a]) && s[index[a]] >= s[i];
    ensures \forall integer a; \result < a <= end ==> index[a] == \old(index[a-1]) && s[i] > s[index[a]];
    ensures \forall integer a, b; 0 <= a < b <= end ==> smoe_before(s, index[a], index[b]);
    ensures smoe_taken(index, end + 1, i);
    ensures \forall integer l; smoe_taken{Pre}(index, end, l) ==> smoe_taken{Post}(index, end + 1, l);
    ensures \forall integer l; smoe_taken{Post}(index, end + 1, l) ==> l == i || smoe_taken{Pre}(index, end, l); */
static size_t insert(const double *s, size_t i, size_t end, size_t *index)
{
    size_t j = end;
    /*@ loop invariant 0 <= j <= end;
        loop invariant \forall integer a; 0 <= a < j ==> index[a] == \at(index[a], Pre);
        loop invariant \forall integer a; j < a <= end ==> index[a] == \at(index[a-1], Pre) && s[i] > s[index[a]];
        loop invariant front: \forall integer a, b; 0 <= a < b < j ==> smoe_before(s, index[a], index[b]);
        loop invariant cross: \forall integer a, b; 0 <= a < j < b <= end ==> smoe_before(s, index[a], index[b]);
        loop invariant back: \forall integer a, b; j < a < b <= end ==> smoe_before(s, index[a], index[b]);
        loop assigns j, index[0 .. end];
        loop variant j; */
    for (; j > 0 && s[i] > s[index[j - 1]]; j--)
        index[j] = index[j - 1];
    /*@ assert j > 0 ==> s[i] <= s[index[j-1]]; */
    /*@ assert \forall integer a; 0 <= a < j-1 ==> smoe_before(s, index[a], index[j-1]); */
    /*@ assert stop: \forall integer a; 0 <= a < j ==> s[index[a]] >= s[i]; */
    index[j] = i;
    /*@ assert \forall integer a; 0 <= a < j ==> index[a] == \at(index[a], Pre) && smoe_before(s, index[a], i); */
    /*@ assert \forall integer b; j < b <= end ==> smoe_before(s, i, index[b]); */
    /*@ assert \forall integer a, b; 0 <= a < b < j ==> smoe_before(s, index[a], index[b]); */
    /*@ assert \forall integer a, b; 0 <= a < j < b <= end ==> smoe_before(s, index[a], index[b]); */
    /*@ assert \forall integer a, b; j < a < b <= end ==> smoe_before(s, index[a], index[b]); */
    /*@ assert \forall integer a; 0 <= a < end ==>
                   index[a] == \at(index[a], Pre) || index[a+1] == \at(index[a], Pre); */
    return j;
}

/* Offers i to the full list index[0 .. K-1].  Who is left out: i itself, or the last, which it displaces. */
/*@ requires 0 < K;
    requires \valid(index + (0 .. K-1));
    requires \valid_read(s + (0 .. i));
    requires \separated(s + (0 .. i), index + (0 .. K-1));
    requires \forall integer a; 0 <= a < K ==> index[a] < i;
    requires \forall integer a, b; 0 <= a < b < K ==> smoe_before(s, index[a], index[b]);
    assigns index[0 .. K-1];
    ensures \forall integer a; 0 <= a < K ==> index[a] <= i;
    ensures \forall integer a, b; 0 <= a < b < K ==> smoe_before(s, index[a], index[b]);
    ensures \result <= i && !smoe_taken(index, K, \result) && smoe_before(s, index[K-1], \result);
    ensures \forall integer l; l != i && l != \result && !smoe_taken(index, K, l) ==> !smoe_taken{Pre}(index, K, l);
    ensures \result != i ==> smoe_taken(index, K, i);
    ensures \forall integer l; smoe_taken(index, K, l) ==> l == i || smoe_taken{Pre}(index, K, l);
    ensures index[K-1] == \old(index[K-1]) || smoe_before(s, index[K-1], \old(index[K-1])); */
static size_t displace(const double *s, size_t i, size_t K, size_t *index)
{
    if (!(s[i] > s[index[K - 1]])) return i;
    size_t last = index[K - 1];
    /*@ assert \forall integer a; 0 <= a < K-1 ==> smoe_before(s, index[a], index[K-1]); */
    /*@ assert \forall integer a; 0 <= a < K-1 ==> index[a] != index[K-1]; */
    /*@ assert !smoe_taken(index, K - 1, last); */
    insert(s, i, K - 1, index);
    return last;
}

smoe_status smoe_topk(size_t N, size_t K, const double *s, size_t *index, double *value, double *margin)
{
    if (K == 0 || K > N) return SMOE_EINVAL;
    if (!smoe_all_finite(N, s)) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= K;
        loop invariant in: \forall integer a; 0 <= a < i ==> 0 <= index[a] < i;
        loop invariant order: \forall integer a, b; 0 <= a < b < i ==> smoe_before(s, index[a], index[b]);
        loop invariant all: \forall integer l; 0 <= l < i ==> smoe_taken(index, i, l);
        loop assigns i, index[0 .. K-1];
        loop variant K - i; */
    for (size_t i = 0; i < K; i++)
        insert(s, i, i, index);
    size_t next = N; /* the best that was not taken, once there is one */
    /*@ loop invariant K <= i <= N;
        loop invariant in: \forall integer a; 0 <= a < K ==> 0 <= index[a] < i;
        loop invariant order: \forall integer a, b; 0 <= a < b < K ==> smoe_before(s, index[a], index[b]);
        loop invariant rest: \forall integer l; 0 <= l < i && !smoe_taken(index, K, l) ==>
                             smoe_before(s, index[K-1], l);
        loop invariant none: i == K ==> next == N && \forall integer l; 0 <= l < K ==> smoe_taken(index, K, l);
        loop invariant best: i > K ==> next < i && !smoe_taken(index, K, next);
        loop invariant most: i > K ==>
                             \forall integer l; 0 <= l < i && !smoe_taken(index, K, l) ==> s[l] <= s[next];
        loop assigns i, next, index[0 .. K-1];
        loop variant N - i; */
    for (size_t i = K; i < N; i++) {
        size_t out = displace(s, i, K, index); /* (N.25) */
        if (next == N || s[out] > s[next]) next = out;
    }
    /*@ loop invariant 0 <= j <= K;
        loop invariant \forall integer a; 0 <= a < j ==> value[a] == s[index[a]];
        loop assigns j, value[0 .. K-1];
        loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        value[j] = s[index[j]];
    *margin = K < N ? s[index[K - 1]] - s[next] + 0 : INFINITY; /* + 0: a tie of -0 and 0 is +0 */
    /*@ assert K < N ==> 0 <= next < N && !smoe_taken(index, K, next) && *margin == value[K-1] - s[next]; */
    /*@ assert K < N ==> \forall integer l; 0 <= l < N && !smoe_taken(index, K, l) ==> s[l] <= s[next]; */
    return SMOE_OK;
}

smoe_status smoe_topk_vjp(size_t N, size_t K, const size_t *index, const double *dvalue, double *ds)
{
    if (K == 0 || K > N) return SMOE_EINVAL;
    /*@ loop invariant 0 <= j <= K;
        loop invariant \forall integer l; 0 <= l < j ==> index[l] < N;
        loop assigns j; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        if (index[j] >= N) return SMOE_EDOM;
    if (!smoe_all_finite(K, dvalue)) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, ds[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        ds[i] = 0;
    /*@ loop invariant 0 <= j <= K;
        loop assigns j, ds[0 .. N-1]; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        ds[index[j]] += dvalue[j]; /* (N.25) */
    return smoe_all_finite(N, ds) ? SMOE_OK : SMOE_EOVRFLW;
}
