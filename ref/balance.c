/* Balancing losses: spec/04-balance.md. */
#include "balance.h"

#include <math.h>
#include <stdint.h>

#ifdef __FRAMAC__
/*@ assigns \nothing; */
double fma(double x, double y, double z);
#endif

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
    //@ assert (size_t)(B * S) == B * S && (size_t)(B * S * N) == B * S * N;
    if (!smoe_all_finite(B * S * N, z) || !smoe_all_finite(B * N, f)) return SMOE_EDOM;
    /*@ loop invariant 0 <= t <= B*S;
        loop assigns t, p[0 .. B*S*N-1]; loop variant B*S - t; */
    for (size_t t = 0; t < B * S; t++) {
        //@ ghost row_is_inside(t, B * S, N);
        smoe_status status = smoe_softmax(N, z + t * N, p + t * N);
        if (status != SMOE_OK) return status;
    }
    /*@ loop invariant 0 <= b <= B;
        loop assigns b, P[0 .. B*N-1]; loop variant B - b; */
    for (size_t b = 0; b < B; b++) {
        //@ ghost row_is_inside(b, B, N);
        //@ ghost row_is_inside(b, B, S);
        //@ ghost row_is_inside(b, B, S * N);
        //@ assert (size_t)(S * N) == S * N && (size_t)(b * S) == b * S;
        //@ assert b*(S*N) == (b*S)*N && B*(S*N) == B*S*N;
        //@ assert (size_t)(b * S * N) == b * S * N && b*S*N + S*N <= B*S*N;
        smoe_status status = smoe_mean_probability(S, N, p + b * S * N, P + b * N); /* (B.3) of sequence b */
        if (status != SMOE_OK) return status;
    }
    return smoe_switch_loss_sequences(B, N, f, P, loss);                /* (B.5), which is (B.4) if B = 1 */
}

smoe_status smoe_balance_loss_vjp(size_t B, size_t S, size_t N, const double *f, const double *p, double dloss,
                                  const double *dP, double *dp, double *dz)
{
    if (B == 0 || S == 0 || N == 0) return SMOE_EINVAL;
    //@ assert (size_t)(B * S) == B * S && (size_t)(B * S * N) == B * S * N;
    if (!smoe_all_finite(B * N, f) || !smoe_all_finite(B * S * N, p)) return SMOE_EDOM;
    if (!isfinite(dloss) || !smoe_all_finite(B * N, dP)) return SMOE_EDOM;
    /*@ loop invariant 0 <= b <= B;
        loop assigns b, dp[0 .. N-1], dz[0 .. B*S*N-1]; loop variant B - b; */
    for (size_t b = 0; b < B; b++) {
        //@ ghost row_is_inside(b, B, N);
        //@ ghost row_is_inside(b, B, S);
        /*@ loop invariant 0 <= i <= N;
            loop assigns i, dp[0 .. N-1]; loop variant N - i; */
        for (size_t i = 0; i < N; i++) {
            double total = dP[b * N + i] + dloss / (double)B * (double)N * f[b * N + i]; /* (B.5') */
            dp[i] = total / (double)S;                                  /* (B.3') */
        }
        if (!smoe_all_finite(N, dp)) return SMOE_EOVRFLW;
        //@ assert (size_t)((b + 1) * S) == b*S + S;
        /*@ loop invariant b*S <= t <= b*S + S;
            loop assigns t, dz[0 .. B*S*N-1]; loop variant b*S + S - t; */
        for (size_t t = b * S; t < (b + 1) * S; t++) {
            //@ ghost row_is_inside(t, B * S, N);
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

smoe_status smoe_real_tokens(size_t T, const double *mask, size_t *ones)
{
    size_t n = 0;
    /*@ loop invariant 0 <= t <= T && 0 <= n <= t;
        loop invariant \forall integer u; 0 <= u < t ==> mask[u] == 0 || mask[u] == 1;
        loop assigns t, n; loop variant T - t; */
    for (size_t t = 0; t < T; t++) {
        if (!(mask[t] == 0 || mask[t] == 1)) return SMOE_EDOM;
        if (mask[t] == 1) n++;                                          /* (B.7) */
    }
    *ones = n;
    return SMOE_OK;
}

/*@ predicate chosen_below{L}(size_t *index, integer from, integer to, integer N) =
      \forall integer a; from <= a < to ==> index[a] < N; */
smoe_status smoe_expert_load_masked(size_t T, size_t K, size_t J, size_t N, const size_t *index, const double *mask,
                                    size_t *count)
{
    if (J > K) return SMOE_EINVAL;
    size_t real;
    const smoe_status status = smoe_real_tokens(T, mask, &real);
    if (status != SMOE_OK) return status;
    /*@ loop invariant 0 <= t <= T;
        loop invariant \forall integer s; 0 <= s < t && mask[s] == 1 ==> chosen_below{Pre}(index, s*K, s*K + J, N);
        loop assigns t; loop variant T - t; */
    for (size_t t = 0; t < T; t++)
        //@ ghost row_is_inside(t, T, K);
        /*@ loop invariant 0 <= j <= J;
            loop invariant mask[t] == 1 ==> chosen_below{Pre}(index, t*K, t*K + j, N);
            loop assigns j; loop variant J - j; */
        for (size_t j = 0; j < J; j++)
            //@ assert 0 <= t*K && t*K + j < T*K && (size_t)(t*K) == t*K && (size_t)(t*K + j) == t*K + j;
            if (mask[t] == 1 && index[t * K + j] >= N) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, count[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++) count[i] = 0;
    /*@ loop invariant 0 <= t <= T;
        loop assigns t, count[0 .. N-1]; loop variant T - t; */
    for (size_t t = 0; t < T; t++)
        //@ ghost row_is_inside(t, T, K);
        //@ assert mask[t] == 1 ==> chosen_below{Pre}(index, t*K, t*K + J, N);
        /*@ loop invariant 0 <= j <= J;
            loop assigns j, count[0 .. N-1]; loop variant J - j; */
        for (size_t j = 0; j < J; j++)
            //@ assert 0 <= t*K && t*K + j < T*K && (size_t)(t*K) == t*K && (size_t)(t*K + j) == t*K + j;
            //@ assert index[t*K + j] == \at(index[\at(t*K + j, Here)], Pre);
            //@ assert mask[t] == 1 ==> \at(index[\at(t*K + j, Here)], Pre) < N;
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
    //@ ghost size_t *ones = &real; // `real` is a word of ACSL
    if (!smoe_all_finite(B * S * N, z) || !smoe_all_finite(B * N, f)) return SMOE_EDOM;
    if (smoe_real_tokens(B * S, mask, &real) != SMOE_OK || real == 0) return SMOE_EDOM;
    /*@ assert (size_t)(B*S) == B*S && (B*S)*N == B*S*N && B*(S*N) == B*S*N && (size_t)(B*S*N) == B*S*N; */
    /*@ assert (size_t)(B*N) == B*N && (size_t)(S*N) == S*N; */
    /*@ loop invariant 0 <= t <= B*S;
        loop assigns t, p[0 .. B*S*N-1]; loop variant B*S - t; */
    for (size_t t = 0; t < B * S; t++) {
        //@ ghost row_is_inside(t, B * S, N);
        smoe_status status = smoe_softmax(N, z + t * N, p + t * N);
        if (status != SMOE_OK) return status;
    }
    *groups = 0;
    *sum = 0;
    /*@ loop invariant 0 <= b <= B;
        loop assigns b, *ones, P[0 .. B*N-1], *groups, *sum; loop variant B - b; */
    for (size_t b = 0; b < B; b++) {
        //@ ghost row_is_inside(b, B, N);
        //@ ghost row_is_inside(b, B, S);
        //@ ghost row_is_inside(b, B, S * N);
        /*@ assert b*S*N == b*(S*N) && (size_t)(b*S) == b*S && (size_t)(b*S*N) == b*S*N; */
        /*@ loop invariant 0 <= i <= N;
            loop assigns i, P[0 .. B*N-1]; loop variant N - i; */
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
    //@ ghost size_t *ones = &real; // `real` is a word of ACSL
    if (!smoe_all_finite(B * N, f) || !smoe_all_finite(B * S * N, p) || !isfinite(dsum)) return SMOE_EDOM;
    /*@ assert (size_t)(B*S) == B*S && (B*S)*N == B*S*N && (size_t)(B*S*N) == B*S*N && (size_t)(B*N) == B*N; */
    if (smoe_real_tokens(B * S, mask, &real) != SMOE_OK) return SMOE_EDOM;
    /*@ loop invariant 0 <= b <= B;
        loop assigns b, *ones, dp[0 .. N-1], dz[0 .. B*S*N-1]; loop variant B - b; */
    for (size_t b = 0; b < B; b++) {
        //@ ghost row_is_inside(b, B, N);
        //@ ghost row_is_inside(b, B, S);
        /*@ assert (size_t)(b*S) == b*S && (size_t)((b + 1)*S) == b*S + S; */
        smoe_status status = smoe_real_tokens(S, mask + b * S, &real);
        if (status == SMOE_OK && real > 0) status = smoe_switch_loss_vjp(N, f + b * N, dsum, dp); /* (B.4') */
        if (status != SMOE_OK) return status;
        /*@ loop invariant 0 <= i <= N;
            loop assigns i, dp[0 .. N-1]; loop variant N - i; */
        for (size_t i = 0; i < N && real > 0; i++) dp[i] = dp[i] / (double)real; /* (B.7'), (B.3') of a real token */
        /*@ loop invariant b*S <= t <= b*S + S;
            loop assigns t, status, dz[0 .. B*S*N-1]; loop variant b*S + S - t; */
        for (size_t t = b * S; t < (b + 1) * S; t++) {
            /*@ assert t < b*S + S; */
            //@ ghost row_is_inside(t, B * S, N);
            if (mask[t] == 1)
                status = smoe_softmax_vjp(N, p + t * N, dp, dz + t * N); /* (N.22') */
            else
                /*@ loop invariant 0 <= i <= N;
                    loop assigns i, dz[0 .. B*S*N-1]; loop variant N - i; */
                for (size_t i = 0; i < N; i++) dz[t * N + i] = 0;
            if (status != SMOE_OK) return status;
        }
    }
    return SMOE_OK;
}

smoe_status smoe_mean_softmax(size_t T, size_t N, const double *z, double *p, double *P)
{
    if (T == 0 || N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(T * N, z)) return SMOE_EDOM;
    /*@ loop invariant 0 <= t <= T;
        loop assigns t, p[0 .. T*N-1]; loop variant T - t; */
    for (size_t t = 0; t < T; t++) {
        //@ ghost row_is_inside(t, T, N);
        const smoe_status status = smoe_softmax(N, z + t * N, p + t * N);
        if (status != SMOE_OK) return status;
    }
    return smoe_mean_probability(T, N, p, P);
}

smoe_status smoe_mean_softmax_vjp(size_t T, size_t N, const double *p, const double *dP, double *dp, double *dz)
{
    if (T == 0 || N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(T * N, p) || !smoe_all_finite(N, dP)) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, dp[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++) dp[i] = dP[i] / (double)T;           /* (B.3') */
    /*@ loop invariant 0 <= t <= T;
        loop assigns t, dz[0 .. T*N-1]; loop variant T - t; */
    for (size_t t = 0; t < T; t++) {
        //@ ghost row_is_inside(t, T, N);
        const smoe_status status = smoe_softmax_vjp(N, p + t * N, dp, dz + t * N); /* (N.22') */
        if (status != SMOE_OK) return status;
    }
    return SMOE_OK;
}

/* sum_i (v_i - mean)^2 */
/*@ requires \valid_read(v + (0 .. N-1));
    assigns \nothing; */
static double squares(size_t N, const double *v, double mean)
{
    double s = 0;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, s; loop variant N - i; */
    for (size_t i = 0; i < N; i++) {
        const double off = v[i] - mean;
        s = fma(off, off, s);
    }
    return s;
}

/* n: what the variance divides by; at least 1 */
/*@ requires N > 0 && n > 0;
    requires \valid_read(v + (0 .. N-1)) && \valid(loss) && \separated(loss, v + (0 .. N-1));
    assigns *loss; */
static smoe_status variation(size_t N, const double *v, double n, double epsilon, double *loss)
{
    if (!smoe_all_finite(N, v) || !smoe_all_finite(1, &epsilon) || epsilon < 0) return SMOE_EDOM;
    const double mean = smoe_sum(N, v) / (double)N, D = mean * mean + epsilon;
    if (D == 0) return SMOE_EDOM;
    if (!smoe_all_finite(1, &D)) return SMOE_EOVRFLW;
    *loss = squares(N, v, mean) / n / D;                                /* (B.9) */
    return finite_or_overflow(1, loss);
}

smoe_status smoe_cv_squared(size_t N, const double *v, double epsilon, double *loss)
{
    return N == 0 ? SMOE_EINVAL : variation(N, v, (double)N, epsilon, loss);
}

smoe_status smoe_cv_squared_unbiased(size_t N, const double *v, double epsilon, double *loss)
{
    return N < 2 ? SMOE_EINVAL : variation(N, v, (double)(N - 1), epsilon, loss);
}

/*@ requires N > 0 && n > 0;
    requires \valid_read(v + (0 .. N-1)) && \valid(dv + (0 .. N-1)) && \separated(v + (0 .. N-1), dv + (0 .. N-1));
    assigns dv[0 .. N-1]; */
static smoe_status variation_vjp(size_t N, const double *v, double n, double epsilon, double dloss, double *dv)
{
    if (!smoe_all_finite(N, v) || !smoe_all_finite(1, &epsilon) || epsilon < 0) return SMOE_EDOM;
    if (!smoe_all_finite(1, &dloss)) return SMOE_EDOM;
    const double mean = smoe_sum(N, v) / (double)N, D = mean * mean + epsilon;
    if (D == 0) return SMOE_EDOM;
    if (!smoe_all_finite(1, &D)) return SMOE_EOVRFLW;
    const double loss = squares(N, v, mean) / n / D;
    const double a = 2 * dloss / (n * D), b = 2 * dloss * loss * mean / ((double)N * D);
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, dv[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        dv[i] = a * (v[i] - mean) - b;                                  /* (B.9') */
    return finite_or_overflow(N, dv);
}

smoe_status smoe_cv_squared_vjp(size_t N, const double *v, double epsilon, double dloss, double *dv)
{
    return N == 0 ? SMOE_EINVAL : variation_vjp(N, v, (double)N, epsilon, dloss, dv);
}

smoe_status smoe_cv_squared_unbiased_vjp(size_t N, const double *v, double epsilon, double dloss, double *dv)
{
    return N < 2 ? SMOE_EINVAL : variation_vjp(N, v, (double)(N - 1), epsilon, dloss, dv);
}

smoe_status smoe_importance(size_t T, size_t N, const double *g, double *v)
{
    if (T == 0 || N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(T * N, g)) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, v[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++) {
        double sum = 0;
        /*@ loop invariant 0 <= t <= T;
            loop assigns t, sum; loop variant T - t; */
        for (size_t t = 0; t < T; t++) {
            /*@ assert t*N + N <= T*N; */
            sum += g[t * N + i];
        }
        v[i] = sum;                                                     /* (B.9), importance */
    }
    return finite_or_overflow(N, v);
}

smoe_status smoe_importance_vjp(size_t T, size_t N, const double *dv, double *dg)
{
    if (T == 0 || N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(N, dv)) return SMOE_EDOM;
    /*@ loop invariant 0 <= t <= T;
        loop assigns t, dg[0 .. T*N-1]; loop variant T - t; */
    for (size_t t = 0; t < T; t++) {
        /*@ assert t*N + N <= T*N; */
        /*@ loop invariant 0 <= i <= N;
            loop assigns i, dg[0 .. T*N-1]; loop variant N - i; */
        for (size_t i = 0; i < N; i++)
            dg[t * N + i] = dv[i];                                      /* (B.9') */
    }
    return SMOE_OK;
}

/*@ requires \valid_read(order + (0 .. K-1));
    assigns \nothing;
    ensures \result <==> \exists integer j; 0 <= j < K && order[j] == i; */
static bool among(size_t K, const size_t *order, size_t i)
{
    /*@ loop invariant 0 <= j <= K;
        loop invariant \forall integer l; 0 <= l < j ==> order[l] != i;
        loop assigns j; loop variant K - j; */
    for (size_t j = 0; j < K; j++)
        if (order[j] == i) return true;
    return false;
}

/*@ requires K < N ==> \valid_read(order + (0 .. K));
    requires \valid_read(clean + (0 .. N-1)) && \valid_read(noisy + (0 .. N-1)) && \valid_read(std + (0 .. N-1));
    assigns \nothing;
    ensures K == 0 || K >= N ==> \result == SMOE_EINVAL;
    ensures \result == SMOE_OK ==> 0 < K < N && \forall integer j; 0 <= j <= K ==> order[j] < N; */
static smoe_status check_token(size_t N, size_t K, const size_t *order, const double *clean, const double *noisy,
                               const double *std)
{
    if (K == 0 || K >= N) return SMOE_EINVAL;
    if (!smoe_all_finite(N, clean) || !smoe_all_finite(N, noisy) || !smoe_all_finite(N, std)) return SMOE_EDOM;
    /*@ loop invariant 0 <= j <= K + 1;
        loop invariant \forall integer l; 0 <= l < j ==> order[l] < N;
        loop assigns j; loop variant K + 1 - j; */
    for (size_t j = 0; j < K + 1; j++)
        if (order[j] >= N) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        if (std[i] <= 0) return SMOE_EDOM;
    return SMOE_OK;
}

smoe_status smoe_load_token(size_t N, size_t K, const size_t *order, const double *clean, const double *noisy,
                            const double *std, double *P)
{
    const smoe_status status = check_token(N, K, order, clean, noisy, std);
    if (status != SMOE_OK) return status;
    const double inside = noisy[order[K]], outside = noisy[order[K - 1]];
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, P[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++) {
        const double thr = among(K, order, i) ? inside : outside;
        const double a = (clean[i] - thr) / std[i];
        if (!smoe_all_finite(1, &a)) return SMOE_EOVRFLW;
        P[i] = smoe_normal_cdf(a);                                      /* (B.10) */
    }
    return SMOE_OK;
}

smoe_status smoe_load_token_vjp(size_t N, size_t K, const size_t *order, const double *clean, const double *noisy,
                                const double *std, const double *dP, double *dclean, double *dnoisy, double *dstd)
{
    const smoe_status status = check_token(N, K, order, clean, noisy, std);
    if (status != SMOE_OK) return status;
    if (!smoe_all_finite(N, dP)) return SMOE_EDOM;
    double dinside = 0, doutside = 0;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, dinside, doutside, dclean[0 .. N-1], dnoisy[0 .. N-1], dstd[0 .. N-1];
        loop variant N - i; */
    for (size_t i = 0; i < N; i++) {
        const bool in = among(K, order, i);
        const double a = (clean[i] - noisy[order[in ? K : K - 1]]) / std[i];
        if (!smoe_all_finite(1, &a)) return SMOE_EOVRFLW;
        const double q = dP[i] * smoe_normal_pdf(a) / std[i];
        dclean[i] = q;                                                  /* (B.10') */
        dstd[i] = -(q * a);
        dnoisy[i] = 0;
        if (in)
            dinside -= q;
        else
            doutside -= q;
    }
    dnoisy[order[K]] = dinside;
    dnoisy[order[K - 1]] = doutside;
    if (!smoe_all_finite(N, dclean) || !smoe_all_finite(N, dstd)) return SMOE_EOVRFLW;
    return finite_or_overflow(N, dnoisy);
}

/*@ requires smoe_size(T*N) && \valid_read(clean + (0 .. T*N-1)) && \valid_read(noisy + (0 .. T*N-1)) &&
             \valid_read(std + (0 .. T*N-1));
    assigns \nothing;
    ensures \result == SMOE_OK || \result == SMOE_EINVAL || \result == SMOE_EDOM;
    ensures \result == SMOE_EINVAL <==> T == 0 || N == 0 || K == 0 || K > N;
    ensures \result == SMOE_OK ==> smoe_finites(clean, T*N) && smoe_finites(noisy, T*N) && smoe_finites(std, T*N); */
static smoe_status check_load(size_t T, size_t N, size_t K, const double *clean, const double *noisy, const double *std)
{
    if (T == 0 || N == 0 || K == 0 || K > N) return SMOE_EINVAL;
    if (!smoe_all_finite(T * N, clean) || !smoe_all_finite(T * N, noisy)) return SMOE_EDOM;
    if (!smoe_all_finite(T * N, std)) return SMOE_EDOM;
    /*@ loop invariant 0 <= a <= T*N;
        loop assigns a; loop variant T*N - a; */
    for (size_t a = 0; a < T * N; a++)
        if (std[a] <= 0) return SMOE_EDOM;
    return SMOE_OK;
}

smoe_status smoe_noisy_load(size_t T, size_t N, size_t K, const double *clean, const double *noisy, const double *std,
                            size_t *order, double *value, double *P, double *load)
{
    smoe_status status = check_load(T, N, K, clean, noisy, std);
    if (status != SMOE_OK) return status;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, load[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++) load[i] = K == N ? (double)T : 0;    /* all are selected whatever the noise */
    double margin;
    /*@ loop invariant 0 <= t <= T;
        loop assigns t, status, margin, order[0 .. K], value[0 .. K], P[0 .. N-1], load[0 .. N-1]; loop variant T - t; */
    for (size_t t = 0; t < T && K < N; t++) {
        //@ ghost row_is_inside(t, T, N);
        status = smoe_topk(N, K + 1, noisy + t * N, order, value, &margin);
        if (status == SMOE_OK) status = smoe_load_token(N, K, order, clean + t * N, noisy + t * N, std + t * N, P);
        if (status != SMOE_OK) return status;
        /*@ loop invariant 0 <= i <= N;
            loop assigns i, load[0 .. N-1]; loop variant N - i; */
        for (size_t i = 0; i < N; i++) load[i] += P[i];                 /* (B.10) */
    }
    return SMOE_OK;
}

smoe_status smoe_noisy_load_vjp(size_t T, size_t N, size_t K, const double *clean, const double *noisy,
                                const double *std, const double *dload, size_t *order, double *value, double *dclean,
                                double *dnoisy, double *dstd)
{
    smoe_status status = check_load(T, N, K, clean, noisy, std);
    if (status != SMOE_OK) return status;
    if (!smoe_all_finite(N, dload)) return SMOE_EDOM;
    /*@ loop invariant 0 <= a <= T*N;
        loop assigns a, dclean[0 .. T*N-1], dnoisy[0 .. T*N-1], dstd[0 .. T*N-1]; loop variant T*N - a; */
    for (size_t a = 0; a < T * N; a++) dclean[a] = dnoisy[a] = dstd[a] = 0;
    double margin;
    /*@ loop invariant 0 <= t <= T;
        loop assigns t, status, margin, order[0 .. K], value[0 .. K], dclean[0 .. T*N-1], dnoisy[0 .. T*N-1],
          dstd[0 .. T*N-1]; loop variant T - t; */
    for (size_t t = 0; t < T && K < N; t++) {
        //@ ghost row_is_inside(t, T, N);
        const size_t o = t * N;
        status = smoe_topk(N, K + 1, noisy + o, order, value, &margin);
        if (status == SMOE_OK)
            status = smoe_load_token_vjp(N, K, order, clean + o, noisy + o, std + o, dload, dclean + o, dnoisy + o,
                                         dstd + o);
        if (status != SMOE_OK) return status;
    }
    return SMOE_OK;
}

smoe_status smoe_noisy_load_detached_vjp(size_t T, size_t N, size_t K, const double *clean, const double *noisy,
                                         const double *std, const double *dload, size_t *order, double *value,
                                         double *dclean, double *dnoisy, double *dstd)
{
    const smoe_status status =
        smoe_noisy_load_vjp(T, N, K, clean, noisy, std, dload, order, value, dclean, dnoisy, dstd);
    /*@ loop invariant 0 <= a <= T*N;
        loop assigns a, dnoisy[0 .. T*N-1]; loop variant T*N - a; */
    for (size_t a = 0; status == SMOE_OK && a < T * N; a++) dnoisy[a] = 0; /* the threshold is a constant */
    return status;
}

smoe_status smoe_gshard_loss(size_t N, const double *f, const double *m, double *loss)
{
    if (N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(N, f) || !smoe_all_finite(N, m)) return SMOE_EDOM;
    *loss = smoe_dot(N, f, m) / (double)N;                              /* (B.11) */
    return finite_or_overflow(1, loss);
}

smoe_status smoe_gshard_loss_vjp(size_t N, const double *f, double dloss, double *dm)
{
    if (N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(N, f) || !smoe_all_finite(1, &dloss)) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, dm[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        dm[i] = dloss / (double)N * f[i];                               /* (B.11') */
    return finite_or_overflow(N, dm);
}

smoe_status smoe_temperature(size_t n, const double *s, double tau, double *z)
{
    if (!smoe_all_finite(n, s) || !smoe_all_finite(1, &tau) || tau <= 0) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= n;
        loop assigns i, z[0 .. n-1]; loop variant n - i; */
    for (size_t i = 0; i < n; i++)
        z[i] = s[i] / tau;                                              /* (B.12) */
    return finite_or_overflow(n, z);
}

smoe_status smoe_temperature_vjp(size_t n, double tau, const double *dz, double *ds)
{
    return smoe_temperature(n, dz, tau, ds);                            /* (B.12') */
}

smoe_status smoe_excess(size_t T, size_t N, const size_t *count, double *e)
{
    if (T == 0 || N == 0) return SMOE_EINVAL;
    /*@ loop invariant 0 <= i <= N;
        loop invariant \forall integer j; 0 <= j < i ==> count[j] <= T;
        loop assigns i; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        if (count[i] > T) return SMOE_EDOM;
    const double even = (double)T / (double)N;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, e[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        e[i] = ((double)count[i] - even) / even;                        /* (B.13) */
    return SMOE_OK;
}

/*@ requires smoe_size(T*N) && \valid_read(s + (0 .. T*N-1)) && \valid_read(choice + (0 .. T-1));
    requires \valid_read(e + (0 .. N-1));
    assigns \nothing;
    ensures T == 0 || N == 0 ==> \result == SMOE_EINVAL;
    ensures \result == SMOE_OK ==> T > 0 && N > 0 && \forall integer t; 0 <= t < T ==> choice[t] < N; */
static smoe_status check_stable(size_t T, size_t N, const double *s, const size_t *choice, const double *e,
                                double alpha)
{
    if (T == 0 || N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(T * N, s) || !smoe_all_finite(N, e) || !smoe_all_finite(1, &alpha)) return SMOE_EDOM;
    /*@ loop invariant 0 <= t <= T;
        loop invariant \forall integer u; 0 <= u < t ==> choice[u] < N;
        loop assigns t; loop variant T - t; */
    for (size_t t = 0; t < T; t++)
        if (choice[t] >= N) return SMOE_EDOM;
    return SMOE_OK;
}

smoe_status smoe_stable_loss(size_t T, size_t N, const double *s, const size_t *choice, const double *e, double alpha,
                             double *g, double *loss)
{
    const smoe_status status = check_stable(T, N, s, choice, e, alpha);
    if (status != SMOE_OK) return status;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, g[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        g[i] = 0;
    /*@ loop invariant 0 <= t <= T;
        loop assigns t, g[0 .. N-1]; loop variant T - t; */
    for (size_t t = 0; t < T; t++) {
        /*@ assert t*N + N <= T*N; */
        g[choice[t]] += smoe_sigmoid(s[t * N + choice[t]]);
    }
    *loss = alpha * smoe_dot(N, e, g);                                  /* (B.13) */
    return finite_or_overflow(1, loss);
}

smoe_status smoe_stable_loss_vjp(size_t T, size_t N, const double *s, const size_t *choice, const double *e,
                                 double alpha, double dloss, double *ds)
{
    const smoe_status status = check_stable(T, N, s, choice, e, alpha);
    if (status != SMOE_OK) return status;
    if (!smoe_all_finite(1, &dloss)) return SMOE_EDOM;
    /*@ loop invariant 0 <= t <= T;
        loop assigns t, ds[0 .. T*N-1]; loop variant T - t; */
    for (size_t t = 0; t < T; t++) {
        /*@ assert t*N + N <= T*N; */
        const size_t i = choice[t];
        /*@ loop invariant 0 <= l <= N;
            loop assigns l, ds[0 .. T*N-1]; loop variant N - l; */
        for (size_t l = 0; l < N; l++)
            ds[t * N + l] = 0;
        ds[t * N + i] = dloss * alpha * e[i] * smoe_sigmoid_deriv(s[t * N + i]); /* (B.13') */
    }
    return finite_or_overflow(T * N, ds);
}

/*@ requires \valid_read(P + (0 .. N-1));
    assigns \nothing;
    ensures \result <==> \forall integer i; 0 <= i < N ==> P[i] >= 0; */
static bool none_negative(size_t N, const double *P)
{
    /*@ loop invariant 0 <= i <= N;
        loop invariant \forall integer j; 0 <= j < i ==> P[j] >= 0;
        loop assigns i; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        if (P[i] < 0) return false;
    return true;
}

smoe_status smoe_negative_entropy(size_t N, const double *P, double *loss)
{
    if (N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(N, P) || !none_negative(N, P)) return SMOE_EDOM;
    double sum = 0;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, sum; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        if (P[i] > 0) sum = fma(P[i], smoe_log(P[i]), sum);             /* (B.14), 0 ln 0 = 0 */
    *loss = sum;
    return finite_or_overflow(1, loss);
}

smoe_status smoe_negative_entropy_vjp(size_t N, const double *P, double dloss, double *dP)
{
    if (N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(N, P) || !none_negative(N, P) || !smoe_all_finite(1, &dloss)) return SMOE_EDOM;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, dP[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        dP[i] = P[i] > 0 ? dloss * (smoe_log(P[i]) + 1) : 0;            /* (B.14') */
    return finite_or_overflow(N, dP);
}

/*@ requires \valid_read(s + (0 .. N-1));
    assigns \nothing;
    ensures \result <==> \forall integer i; 0 <= i < N ==> s[i] > 0; */
static bool all_positive(size_t N, const double *s)
{
    /*@ loop invariant 0 <= i <= N;
        loop invariant \forall integer j; 0 <= j < i ==> s[j] > 0;
        loop assigns i; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        if (s[i] <= 0) return false;
    return true;
}

smoe_status smoe_affinity_share(size_t N, const double *s, double *p)
{
    if (N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(N, s) || !all_positive(N, s)) return SMOE_EDOM;
    const double sum = smoe_sum(N, s);
    if (!smoe_all_finite(1, &sum)) return SMOE_EOVRFLW;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, p[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        p[i] = s[i] / sum;                                              /* (B.15) */
    return SMOE_OK;
}

smoe_status smoe_affinity_share_vjp(size_t N, const double *s, const double *p, const double *dp, double *ds)
{
    if (N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(N, s) || !all_positive(N, s)) return SMOE_EDOM;
    if (!smoe_all_finite(N, p) || !smoe_all_finite(N, dp)) return SMOE_EDOM;
    const double sum = smoe_sum(N, s), mean = smoe_dot(N, p, dp);
    if (!smoe_all_finite(1, &sum)) return SMOE_EOVRFLW;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, ds[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        ds[i] = (dp[i] - mean) / sum;                                   /* (B.15') */
    return finite_or_overflow(N, ds);
}

smoe_status smoe_bias_update(size_t N, const double *load, const double *bias, double gamma, double *updated)
{
    if (N == 0) return SMOE_EINVAL;
    if (!smoe_all_finite(N, load) || !smoe_all_finite(N, bias) || !smoe_all_finite(1, &gamma)) return SMOE_EDOM;
    const double mean = smoe_sum(N, load) / (double)N;
    if (!smoe_all_finite(1, &mean)) return SMOE_EOVRFLW;
    /*@ loop invariant 0 <= i <= N;
        loop assigns i, updated[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        updated[i] = load[i] < mean ? bias[i] + gamma : load[i] > mean ? bias[i] - gamma : bias[i]; /* (B.16) */
    return finite_or_overflow(N, updated);
}

smoe_status smoe_accumulate_load(size_t N, const size_t *count, size_t *total)
{
    /*@ loop invariant 0 <= i <= N;
        loop invariant \forall integer j; 0 <= j < i ==> total[j] + count[j] <= 0xffffffffffffffff;
        loop assigns i; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        if (total[i] > SIZE_MAX - count[i]) return SMOE_EOVRFLW;
    /*@ loop invariant 0 <= i <= N;
        loop invariant \forall integer j; 0 <= j < i ==> total[j] == \at(total[j], Pre) + count[j];
        loop invariant \forall integer j; i <= j < N ==> total[j] == \at(total[j], Pre);
        loop assigns i, total[0 .. N-1]; loop variant N - i; */
    for (size_t i = 0; i < N; i++)
        total[i] += count[i];                                           /* (B.17) */
    return SMOE_OK;
}
