/* The errors that the quadrature of (T.8) claims, against rigorous enclosures of V and h^2 by the twin, for random pairs of
 * mixtures: unrelated ones, ones as near as fits are to the truth, and nearer.
 *
 *   distance_claims [PAIRS [SEED]]    default 1000 pairs, seed 1
 *
 * Prints for each kind of pair the largest error, the largest claim, and the largest ratio of the two.  Exit status 1 if an
 * error exceeds its claim. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "convergence.h"
#include "op.h"
#include "twin_parts.h"

enum { ATOMS = 4, KINDS = 3, BITS = 56 };
static const char *const kind_name[KINDS] = {"unrelated", "near (1e-3 to 1)", "nearer (1e-7 to 1e-3)"};

typedef struct {
    double error, claim, ratio;
    size_t beyond;
} tally;

/* K atoms (a, b, nu) at x = 0 with a norm gate, variances from e^-5 to e^5; the second model near the first, if it is. */
static void draw(op_rng *r, size_t K, int kind, double *p, double *q)
{
    const double near = kind == 0 ? 1 : smoe_exp(kind == 1 ? -6.9 * op_uniform(r) : -6.9 - 9.2 * op_uniform(r));
    for (size_t i = 0; i < K; i++) {
        double *a = p + 3 * i, *b = q + 3 * i;
        a[0] = b[0] = 0;
        a[1] = 2 * op_normal(r);
        a[2] = smoe_exp(10 * op_uniform(r) - 5);
        b[1] = kind == 0 ? 2 * op_normal(r) : a[1] + near * op_normal(r) * sqrt(a[2]);
        b[2] = kind == 0 ? smoe_exp(10 * op_uniform(r) - 5) : a[2] * smoe_exp(near * op_normal(r));
    }
}

static double distance_to(double value, arb_srcptr exact)
{
    arb_t off;
    mag_t m;
    arb_init(off);
    mag_init(m);
    arb_set_d(off, value);
    arb_sub(off, off, exact, 128);
    arb_get_mag(m, off);
    const double d = mag_get_d(m);
    arb_clear(off);
    mag_clear(m);
    return d;
}

static void note(tally *a, double value, double claim, arb_srcptr exact)
{
    const double error = distance_to(value, exact);
    a->error = fmax(a->error, error);
    a->claim = fmax(a->claim, claim);
    a->ratio = fmax(a->ratio, error / claim);
    a->beyond += !(error <= claim);
}

/* tallies: V, h^2 */
static void judge(op_rng *r, int kind, tally *a)
{
    const size_t K = 1 + (size_t)op_below(r, ATOMS);
    const smoe_mix_shape shape = {.gate = SMOE_MIX_NORM, .expert = SMOE_MIX_LINEAR, .k = K, .d = 1};
    double p[3 * ATOMS], q[3 * ATOMS], at[2][4 * ATOMS], work[16 * ATOMS], cut[10 * ATOMS], V, square, error[2];
    const double x = 0;
    draw(r, K, kind, p, q);
    if (smoe_mix_at(&shape, p, &x, work, at[0], NULL) != SMOE_OK ||
        smoe_mix_at(&shape, q, &x, work, at[1], NULL) != SMOE_OK ||
        smoe_mixture_distance(K, at[0], K, at[1], cut, &V, &square, error) != SMOE_OK) {
        fprintf(stderr, "distance_claims: a pair that has no distance\n");
        exit(1);
    }
    arb_t exact_v, exact_square;
    arb_ptr balls = _arb_vec_init(6 * ATOMS);
    twin_mixture m[2];
    arb_init(exact_v);
    arb_init(exact_square);
    for (size_t j = 0; j < 2; j++) {
        arb_ptr of = balls + 3 * ATOMS * j;
        for (size_t i = 0; i < 3 * K; i++) arb_set_d(of + i, at[j][i]); /* ln pi, h, nu */
        m[j] = (twin_mixture){K, of, of + K, of + 2 * K};
    }
    twin_distance(&m[0], &m[1], BITS, exact_v, exact_square);
    note(&a[0], V, error[0], exact_v);
    note(&a[1], square, error[1], exact_square);
    arb_clear(exact_v);
    arb_clear(exact_square);
    _arb_vec_clear(balls, 6 * ATOMS);
}

int main(int argc, char **argv)
{
    static const char *const name[] = {"V", "h^2"};
    const long pairs = argc > 1 ? atol(argv[1]) : 1000;
    const uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    op_rng *r = op_rng_new(seed, "distance_claims");
    tally a[KINDS][2] = {0};
    size_t beyond = 0;
    for (long i = 0; i < pairs; i++) judge(r, (int)(i % KINDS), a[i % KINDS]);
    op_rng_free(r);
    printf("%-22s %-4s %10s %10s %10s %7s\n", "pairs", "", "error", "claim", "of claim", "beyond");
    for (int kind = 0; kind < KINDS; kind++)
        for (int j = 0; j < 2; j++) {
            const tally *t = &a[kind][j];
            printf("%-22s %-4s %10.2g %10.2g %10.2g %7zu\n", j ? "" : kind_name[kind], name[j], t->error, t->claim,
                   t->ratio, t->beyond);
            beyond += t->beyond;
        }
    printf("%ld pairs, %zu errors beyond their claims\n", pairs, beyond);
    return beyond > 0;
}
