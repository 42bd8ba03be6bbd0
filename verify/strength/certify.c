/* Every output and gradient of the reference against the ball that encloses its exact value.
 *
 * For each operation: the cases tried, the largest error of the reference in units in the last place of the exact value
 * and in units in the last place of the tensor's largest element, the largest ratio of the error to the derived binary64
 * bound, and whether every enclosure held.  The two columns of ulp leave out values that cancellation has eaten (where the
 * derived bound is more than 2^-26 of the value, such as a gradient that is exactly 0): there only the ratio says
 * something.  An enclosure holds when the reference's value lies within the binary64 bound of the exact value, and the
 * ball itself is far smaller than that.
 *
 *   certify [--break | OP ...]     --break spoils one value of each operation by 4 times its bound: the run must then fail
 *                                  OP: these operations alone
 *
 * One process a processor shares the operations; the table is printed in the registry's order.
 */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "op.h"
#include "twin.h"

enum { SEEDS = 3, EXACT_BITS = 128, PROFILE_BITS = 96, OPERATIONS = 512, WORKERS = 64 };

typedef struct {
    size_t cases, values, outside, vague;
    double ulp, tensor_ulp, ratio;
    char where[128]; /* of the largest ratio */
    bool good;
} tally;

/* What the workers share: who takes which operation, and what came of it. */
typedef struct {
    atomic_size_t next;
    tally of[OPERATIONS];
} shared;

static double ulp_of(double x)
{
    x = fabs(x);
    if (x < DBL_MIN) return 0x1p-1074;
    return nextafter(x, INFINITY) - x;
}

static double largest(const twin_tensor *t)
{
    double m = 0.0;
    for (size_t i = 0; i < t->count; i++) m = fmax(m, fabs(t->hi[i]));
    return m;
}

static void compare(tally *a, const char *op, const char *name, const char *tensor, const double *got,
                    const twin_tensor *exact, const twin_tensor *bound)
{
    const double top = ulp_of(largest(exact));
    for (size_t i = 0; i < exact->count; i++) {
        const double error = fabs(got[i] - exact->hi[i] - exact->lo[i]) + exact->rad[i];
        const double allowed = bound->rad[i] + fabs(exact->hi[i] - bound->hi[i]);
        a->values++;
        /* the ball must say more than binary64 can; a tensor that is 0 but for cancellation is judged by its bound */
        if (!(exact->rad[i] <= 0x1p-20 * fmax(top, allowed))) a->vague++;
        if (allowed <= 0x1p-26 * fabs(exact->hi[i])) {
            a->ulp = fmax(a->ulp, error / ulp_of(exact->hi[i]));
            a->tensor_ulp = fmax(a->tensor_ulp, error / top);
        }
        const double ratio = error <= exact->rad[i] && got[i] == exact->hi[i] ? 0.0 : error / allowed;
        if (!(ratio <= 1.0)) {
            if (a->outside++ == 0)
                fprintf(stderr, "certify: %s.%s %s[%zu]: reference %.17g, exact %.17g, binary64 bound %.3g\n", op, name,
                        tensor, i, got[i], exact->hi[i], allowed);
        }
        if (!(ratio <= a->ratio)) {
            a->ratio = ratio;
            snprintf(a->where, sizeof a->where, "%s %s", name, tensor);
        }
    }
}

static void compare_integers(tally *a, const char *op, const char *name, const char *tensor, const int64_t *got,
                             const twin_tensor *exact)
{
    for (size_t i = 0; i < exact->count; i++) {
        a->values++;
        if (exact->rad[i] == 0 && exact->lo[i] == 0 && exact->hi[i] == (double)got[i]) continue;
        if (a->outside++ == 0)
            fprintf(stderr, "certify: %s.%s %s[%zu]: reference %lld, exact %.17g\n", op, name, tensor, i,
                    (long long)got[i], exact->hi[i]);
    }
}

static bool certify_case(tally *a, const op_record *op, const char *name, op_case *c, bool spoil)
{
    char err[256];
    twin_result exact = {0}, bound = {0};
    const bool good = twin_run(c, NULL, NULL, EXACT_BITS, &exact, err, sizeof err) == 0 &&
                      twin_run(c, twin_profile_find("f64"), NULL, PROFILE_BITS, &bound, err, sizeof err) == 0;
    if (!good) fprintf(stderr, "certify: %s.%s: %s\n", op->id, name, err);
    for (size_t i = 0; good && op->out[i].name; i++)
        if (c->out[i].f64 && exact.out[i].count) {
            if (spoil) c->out[i].f64[0] += 4.0 * (bound.out[i].rad[0] + ulp_of(c->out[i].f64[0]));
            compare(a, op->id, name, op->out[i].name, c->out[i].f64, &exact.out[i], &bound.out[i]);
        } else if (c->out[i].i64 &&
                   exact.out[i].count) { /* integers that the twin computes: equal, or the enclosure failed */
            if (spoil) c->out[i].i64[0]++;
            compare_integers(a, op->id, name, op->out[i].name, c->out[i].i64, &exact.out[i]);
        }
    for (size_t i = 0; good && op->in[i].name; i++)
        if (c->grad[i].f64 && exact.grad[i].count) {
            char label[64];
            snprintf(label, sizeof label, "d_%s", op->in[i].name);
            compare(a, op->id, name, label, c->grad[i].f64, &exact.grad[i], &bound.grad[i]);
        }
    twin_result_clear(&exact);
    twin_result_clear(&bound);
    a->cases++;
    return good;
}

static void certify_operation(tally *a, const op_record *op, bool spoil)
{
    a->good = true;
    for (const op_spec *spec = op->cases; spec->name; spec++) {
        const uint64_t seeds = op_in_suite(spec, "large") ? 1 : SEEDS;
        for (uint64_t seed = 1; seed <= seeds; seed++) {
            char err[256];
            op_case *c = op_case_from_spec(op, spec, seed, err, sizeof err);
            if (!c || op_run(c) != SMOE_OK) {
                fprintf(stderr, "certify: %s.%s does not run\n", op->id, spec->name);
                a->good = false;
            } else {
                a->good &= certify_case(a, op, spec->name, c, spoil);
            }
            op_case_free(c);
        }
    }
    a->good = a->good && a->outside == 0 && a->vague == 0;
}

static void work(shared *all, const op_record *const *asked, size_t operations, bool spoil)
{
    for (size_t u; (u = atomic_fetch_add(&all->next, 1)) < operations;) {
        const size_t o = operations - 1 - u; /* the longest are among the last */
        certify_operation(&all->of[o], asked[o], spoil);
    }
}

/* One process a processor.  False if one of them could not be started, or ended early. */
static bool work_together(shared *all, const op_record *const *asked, size_t operations, bool spoil)
{
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    const size_t workers = processors < 1 ? 1 : processors > WORKERS ? WORKERS : (size_t)processors;
    bool whole = true;
    fflush(stdout);
    for (size_t i = 0; i < workers; i++) {
        const pid_t child = fork();
        if (child == 0) {
            work(all, asked, operations, spoil);
            exit(0);
        }
        if (child < 0) {
            fprintf(stderr, "certify: fork: %s\n", strerror(errno));
            whole = false;
        }
    }
    for (int status; wait(&status) > 0;) whole &= WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return whole;
}

int main(int argc, char **argv)
{
    const bool spoil = argc > 1 && strcmp(argv[1], "--break") == 0;
    const op_record *asked[OPERATIONS];
    size_t failures = 0, operations = 0;
    shared *all = mmap(NULL, sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (size_t o = 0; op_registry[o]; o++) {
        bool wanted = argc == 1 || spoil;
        for (int i = 1; i < argc; i++) wanted |= strcmp(argv[i], op_registry[o]->id) == 0;
        if (wanted && operations < OPERATIONS) asked[operations++] = op_registry[o];
    }
    if (all == MAP_FAILED || operations == OPERATIONS) {
        fprintf(stderr, "certify: no memory to share, or more operations than there is room for\n");
        return 1;
    }
    if (!work_together(all, asked, operations, spoil)) {
        fprintf(stderr, "certify: a worker process did not finish\n");
        return 1;
    }
    printf("%-24s %6s %9s %12s %12s %10s  %s\n", "operation", "cases", "values", "max ulp", "tensor ulp", "of bound",
           "every enclosure");
    for (size_t o = 0; o < operations; o++) {
        const tally *a = &all->of[o];
        printf("%-24s %6zu %9zu %12.4g %12.4g %10.3g  %s (largest: %s)\n", asked[o]->id, a->cases, a->values, a->ulp,
               a->tensor_ulp, a->ratio, a->good ? "held" : "FAILED", a->where);
        failures += !a->good;
    }
    printf("certify: %zu operations, %zu held, %zu failed\n", operations, operations - failures, failures);
    return failures != 0;
}
