/* Balancing losses: spec/04-balance.md. */
#include "balance.h"

#include <math.h>

smoe_status smoe_expert_load(size_t A, size_t N, const size_t *choice, size_t *count)
{
    /*@ loop invariant 0 <= a <= A;
        loop invariant \forall integer b; 0 <= b < a ==> choice[b] < N;
        loop assigns a; loop variant A - a; */
    for (size_t a = 0; a < A; a++)
        if (choice[a] >= N) return SMOE_EDOM;

    /*@ loop invariant 0 <= i <= N;
        loop invariant \forall integer j; 0 <= j < i ==> count[j] == 0;
        loop assigns i, count[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        count[i] = 0;

    /*@ loop invariant 0 <= a <= A;
        loop invariant \forall integer j; 0 <= j < N ==> count[j] == load{Pre}(choice, a, j);
        loop invariant \forall integer j; 0 <= j < N ==> count[j] <= a;
        loop assigns a, count[0 .. N-1]; loop variant A - a; */
    for (size_t a = 0; a < A; a++)
        count[choice[a]]++;                                             /* (B.1) */
    return SMOE_OK;
}

smoe_status smoe_expert_load_first(size_t A, size_t K, size_t N, const size_t *index, size_t *count)
{
    if (K == 0) return SMOE_EINVAL;
    size_t j = 0; /* the column of assignment a: 0 for a first choice */
    /*@ loop invariant 0 <= a <= A && 0 <= j < K && j == column(a, K);
        loop invariant \forall integer b; 0 <= b < a && column(b, K) == 0 ==> index[b] < N;
        loop assigns a, j; loop variant A - a; */
    for (size_t a = 0; a < A; a++) {
        if (j == 0 && index[a] >= N) return SMOE_EDOM;
        j = j + 1 == K ? 0 : j + 1;
    }

    /*@ loop invariant 0 <= i <= N;
        loop invariant \forall integer k; 0 <= k < i ==> count[k] == 0;
        loop assigns i, count[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        count[i] = 0;

    j = 0;
    /*@ loop invariant 0 <= a <= A && 0 <= j < K && j == column(a, K);
        loop invariant \forall integer k; 0 <= k < N ==> count[k] == first_load{Pre}(index, a, K, k);
        loop invariant \forall integer k; 0 <= k < N ==> count[k] <= a;
        loop assigns a, j, count[0 .. N-1]; loop variant A - a; */
    for (size_t a = 0; a < A; a++) {
        if (j == 0) count[index[a]]++;                                  /* (B.1), variant first */
        j = j + 1 == K ? 0 : j + 1;
    }
    return SMOE_OK;
}

smoe_status smoe_load_fraction(size_t A, size_t N, const size_t *count, double *f)
{
    if (A == 0) return SMOE_EINVAL;
    /*@ loop invariant 0 <= i <= N;
        loop invariant \forall integer j; 0 <= j < i ==> count[j] <= A;
        loop assigns i; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        if (count[i] > A) return SMOE_EDOM;

    /*@ loop invariant 0 <= i <= N;
        loop assigns i, f[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        f[i] = (double)count[i] / (double)A;                            /* (B.2) */
    return SMOE_OK;
}

/*@ requires \valid_read(x + (0 .. n-1));
    assigns \nothing;
    ensures \result == SMOE_OK || \result == SMOE_EOVRFLW; */
static smoe_status finite_or_overflow(size_t n, const double *x)
{
    return smoe_all_finite(n, x) ? SMOE_OK : SMOE_EOVRFLW;
}

smoe_status smoe_mean_probability(size_t T, size_t N, const double *p, double *P)
{
    if (T == 0 || N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(T * N, p)) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, P[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++) {
        double sum = 0;
        /*@ loop invariant 0 <= t <= T;
            loop assigns t, sum; loop variant T - t; */
        for (size_t t = 0; t < T; t++) {
            /*@ assert t*N + N <= T*N; */
            sum += p[t * N + i];
        }
        P[i] = sum / (double)T;                                         /* (B.3) */
    }
    return finite_or_overflow(N, P);
}

smoe_status smoe_mean_probability_vjp(size_t T, size_t N, const double *dP, double *dp)
{
    if (T == 0 || N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(N, dP)) return SMOE_EDOM;
    /*@ loop invariant 0 <= t <= T;
        loop assigns t, dp[0 .. T*N-1]; loop variant T - t; */
    for (size_t t = 0; t < T; t++) {
        /*@ assert t*N + N <= T*N; */
        /*@ loop invariant 0 <= i <= N;
            loop assigns i, dp[0 .. T*N-1]; loop variant N - i; */
        for (size_t i = 0; i < N; i++)
            dp[t * N + i] = dP[i] / (double)T;                          /* (B.3'), constant over the tokens */
    }
    return SMOE_OK;
}

smoe_status smoe_switch_loss(size_t N, const double *f, const double *P, double *loss)
{
    if (N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(N, f) || !smoe_all_finite(N, P)) return SMOE_EDOM;
    *loss = (double)N * smoe_dot(N, f, P);                              /* (B.4) */
    return finite_or_overflow(1, loss);
}

smoe_status smoe_switch_loss_vjp(size_t N, const double *f, double dloss, double *dP)
{
    if (N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(N, f) || !smoe_all_finite(1, &dloss)) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, dP[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        dP[i] = dloss * (double)N * f[i];                               /* (B.4') */
    return finite_or_overflow(N, dP);
}

smoe_status smoe_switch_loss_sequences(size_t B, size_t N, const double *f, const double *P, double *loss)
{
    if (B == 0 || N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(B * N, f) || !smoe_all_finite(B * N, P)) return SMOE_EDOM;
    double sum = 0;
    /*@ loop invariant 0 <= b <= B;
        loop assigns b, sum; loop variant B - b; */
    for (size_t b = 0; b < B; b++) {
        /*@ assert b*N + N <= B*N; */
        sum += (double)N * smoe_dot(N, f + b * N, P + b * N);           /* (B.4) of sequence b */
    }
    *loss = sum / (double)B;                                            /* (B.5) */
    return finite_or_overflow(1, loss);
}

smoe_status smoe_switch_loss_sequences_vjp(size_t B, size_t N, const double *f, double dloss, double *dP)
{
    if (B == 0 || N == 0) return SMOE_EINVAL;
    /* Each sequence sees the cotangent dloss / B, then (B.4'): together the one product of all sequences' f. */
    if (!smoe_all_finite(B * N, f) || !isfinite(dloss)) return SMOE_EDOM;
    /*@ loop invariant 0 <= b <= B;
        loop assigns b, dP[0 .. B*N-1]; loop variant B - b; */
    for (size_t b = 0; b < B; b++) {
        /*@ assert b*N + N <= B*N; */
        /*@ loop invariant 0 <= i <= N;
            loop assigns i, dP[0 .. B*N-1]; loop variant N - i; */
        for (size_t i = 0; i < N; i++)
            dP[b * N + i] = dloss / (double)B * (double)N * f[b * N + i]; /* (B.5') */
    }
    return finite_or_overflow(B * N, dP);
}

smoe_status smoe_balance_loss(size_t B, size_t S, size_t N, const double *z, const double *f, double *p, double *P,
                              double *loss)
{
    if (B == 0 || S == 0 || N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(B * S * N, z) || !smoe_all_finite(B * N, f)) return SMOE_EDOM;
    for (size_t t = 0; t < B * S; t++) {
        smoe_status status = smoe_softmax(N, z + t * N, p + t * N);
        if (status != SMOE_OK) return status;
    }
    for (size_t b = 0; b < B; b++) {
        smoe_status status = smoe_mean_probability(S, N, p + b * S * N, P + b * N); /* (B.3) of sequence b */
        if (status != SMOE_OK) return status;
    }
    return smoe_switch_loss_sequences(B, N, f, P, loss);                /* (B.5), which is (B.4) if B = 1 */
}

smoe_status smoe_balance_loss_vjp(size_t B, size_t S, size_t N, const double *f, const double *p, double dloss,
                                  const double *dP, double *dp, double *dz)
{
    if (B == 0 || S == 0 || N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(B * N, f) || !smoe_all_finite(B * S * N, p)) return SMOE_EDOM;
    if (!isfinite(dloss) || !smoe_all_finite(B * N, dP)) return SMOE_EDOM;
    for (size_t b = 0; b < B; b++) {
        for (size_t i = 0; i < N; i++) {
            double total = dP[b * N + i] + dloss / (double)B * (double)N * f[b * N + i]; /* (B.5') */
            dp[i] = total / (double)S;                                  /* (B.3') */
        }
        if (!smoe_all_finite(N, dp)) return SMOE_EOVRFLW;
        for (size_t t = b * S; t < (b + 1) * S; t++) {
            smoe_status status = smoe_softmax_vjp(N, p + t * N, dp, dz + t * N); /* (N.22') */
            if (status != SMOE_OK) return status;
        }
    }
    return SMOE_OK;
}

smoe_status smoe_z_loss(size_t T, size_t N, const double *r, double *lse, double *loss)
{
    if (T == 0 || N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(T * N, r)) return SMOE_EDOM;
    /*@ loop invariant 0 <= t <= T;
        loop assigns t, lse[0 .. T-1]; loop variant T - t; */
    for (size_t t = 0; t < T; t++) {
        /*@ assert t*N + N <= T*N; */
        smoe_status status = smoe_logsumexp(N, r + t * N, &lse[t]);
        if (status != SMOE_OK) return status;
    }
    *loss = smoe_dot(T, lse, lse) / (double)T;                          /* (B.6) */
    return finite_or_overflow(1, loss);
}

smoe_status smoe_z_loss_vjp(size_t T, size_t N, const double *r, const double *lse, double dloss, double *dr)
{
    if (T == 0 || N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(T * N, r) || !smoe_all_finite(T, lse) || !isfinite(dloss)) return SMOE_EDOM;
    /*@ loop invariant 0 <= t <= T;
        loop assigns t, dr[0 .. T*N-1]; loop variant T - t; */
    for (size_t t = 0; t < T; t++) {
        /*@ assert t*N + N <= T*N; */
        double dlse = 2 * lse[t] / (double)T * dloss;                   /* (B.6') */
        if (!isfinite(dlse)) return SMOE_EOVRFLW;
        smoe_status status = smoe_logsumexp_vjp(N, r + t * N, lse[t], dlse, dr + t * N);
        if (status != SMOE_OK) return status;
    }
    return SMOE_OK;
}

smoe_status smoe_real_tokens(size_t T, const double *mask, size_t *real)
{
    size_t n = 0;
    /*@ loop invariant 0 <= t <= T && 0 <= n <= t;
        loop invariant \forall integer u; 0 <= u < t ==> mask[u] == 0 || mask[u] == 1;
        loop invariant n == 0 <==> (\forall integer u; 0 <= u < t ==> mask[u] == 0);
        loop assigns t, n; loop variant T - t; */
    for (size_t t = 0; t < T; t++) {
        if (!(mask[t] == 0 || mask[t] == 1)) return SMOE_EDOM;
        if (mask[t] == 1) n++;                                          /* (B.7) */
    }
    *real = n;
    return SMOE_OK;
}

smoe_status smoe_expert_load_masked(size_t T, size_t K, size_t J, size_t N, const size_t *index, const double *mask,
                                    size_t *count)
{
    if (J > K) return SMOE_EINVAL;
    size_t real;
    const smoe_status status = smoe_real_tokens(T, mask, &real);
    if (status != SMOE_OK) return status;
    for (size_t t = 0; t < T; t++)
        for (size_t j = 0; j < J; j++)
            if (mask[t] == 1 && index[t * K + j] >= N) return SMOE_EDOM;
    for (size_t i = 0; i < N; i++) count[i] = 0;
    for (size_t t = 0; t < T; t++)
        for (size_t j = 0; j < J; j++)
            if (mask[t] == 1) count[index[t * K + j]]++;                /* (B.7), (B.1) of the real tokens */
    return SMOE_OK;
}

smoe_status smoe_mean_probability_masked(size_t T, size_t N, const double *p, const double *mask, double *P)
{
    if (T == 0 || N == 0) return SMOE_EINVAL;
    size_t real;
    const smoe_status status = smoe_real_tokens(T, mask, &real);
    if (status != SMOE_OK) return status;
    if (real == 0 || !smoe_all_finite(T * N, p)) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, P[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++) {
        double sum = 0;
        /*@ loop invariant 0 <= t <= T;
            loop assigns t, sum; loop variant T - t; */
        for (size_t t = 0; t < T; t++) {
            /*@ assert t*N + N <= T*N; */
            if (mask[t] == 1) sum += p[t * N + i];
        }
        P[i] = sum / (double)real;                                      /* (B.7), (B.3) of the real tokens */
    }
    return finite_or_overflow(N, P);
}

void smoe_load_kept(size_t N, size_t capacity, size_t *count)
{
    /*@ loop invariant 0 <= i <= N;
        loop invariant \forall integer j; 0 <= j < i ==> count[j] == \min(\at(count[j], Pre), capacity);
        loop invariant \forall integer j; i <= j < N ==> count[j] == \at(count[j], Pre);
        loop assigns i, count[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        if (count[i] > capacity) count[i] = capacity;                   /* (B.8) */
}

smoe_status smoe_balance_groups(size_t B, size_t S, size_t N, const double *z, const double *mask, const double *f,
                                double *p, double *P, size_t *groups, double *sum)
{
    if (B == 0 || S == 0 || N == 0) return SMOE_EINVAL;
    size_t real;
    if (!smoe_all_finite(B * S * N, z) || !smoe_all_finite(B * N, f)) return SMOE_EDOM;
    if (smoe_real_tokens(B * S, mask, &real) != SMOE_OK || real == 0) return SMOE_EDOM;
    for (size_t t = 0; t < B * S; t++) {
        smoe_status status = smoe_softmax(N, z + t * N, p + t * N);
        if (status != SMOE_OK) return status;
    }
    *groups = 0;
    *sum = 0;
    for (size_t b = 0; b < B; b++) {
        for (size_t i = 0; i < N; i++) P[b * N + i] = 0;
        smoe_status status = smoe_real_tokens(S, mask + b * S, &real);
        if (status == SMOE_OK && real == 0) continue; /* all padding: neither added nor counted */
        double loss = 0;
        if (status == SMOE_OK) status = smoe_mean_probability_masked(S, N, p + b * S * N, mask + b * S, P + b * N);
        if (status == SMOE_OK) status = smoe_switch_loss(N, f + b * N, P + b * N, &loss); /* (B.4) of group b */
        if (status != SMOE_OK) return status;
        *groups += 1;
        *sum += loss;                                                   /* (B.5) before its division */
    }
    return finite_or_overflow(1, sum);
}

smoe_status smoe_balance_groups_vjp(size_t B, size_t S, size_t N, const double *f, const double *p, const double *mask,
                                    double dsum, double *dp, double *dz)
{
    if (B == 0 || S == 0 || N == 0) return SMOE_EINVAL;
    size_t real;
    if (!smoe_all_finite(B * N, f) || !smoe_all_finite(B * S * N, p) || !isfinite(dsum)) return SMOE_EDOM;
    if (smoe_real_tokens(B * S, mask, &real) != SMOE_OK) return SMOE_EDOM;
    for (size_t b = 0; b < B; b++) {
        smoe_status status = smoe_real_tokens(S, mask + b * S, &real);
        if (status == SMOE_OK && real > 0) status = smoe_switch_loss_vjp(N, f + b * N, dsum, dp); /* (B.4') */
        if (status != SMOE_OK) return status;
        for (size_t i = 0; i < N && real > 0; i++) dp[i] = dp[i] / (double)real; /* (B.7'), (B.3') of a real token */
        for (size_t t = b * S; t < (b + 1) * S; t++) {
            if (mask[t] == 1)
                status = smoe_softmax_vjp(N, p + t * N, dp, dz + t * N); /* (N.22') */
            else
                for (size_t i = 0; i < N; i++) dz[t * N + i] = 0;
            if (status != SMOE_OK) return status;
        }
    }
    return SMOE_OK;
}
