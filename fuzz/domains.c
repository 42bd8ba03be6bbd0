/* See domains.h. */
#include "domains.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "convergence.h"
#include "twin.h"

enum { TWIN_BITS = 128 };

static bool begins(const op_case *c, const char *with) { return strncmp(c->op->id, with, strlen(with)) == 0; }

static bool is(const op_case *c, const char *id) { return strcmp(c->op->id, id) == 0; }

static const op_value *input(const op_case *c, const char *name)
{
    for (size_t i = 0; c->op->in[i].name != NULL; i++)
        if (strcmp(c->op->in[i].name, name) == 0) return &c->in[i];
    return NULL;
}

static void *room(size_t n, size_t size)
{
    void *p = calloc(n + 1, size);
    if (p == NULL) abort();
    return p;
}

/* --- what is read --- */

/* Free weights and the softmax gate's slopes, also of directions ("vbeta0") and products ("hbeta0"). */
static bool model_has(const op_case *c, const char *name)
{
    if (strstr(name, "beta0") != NULL) return op_is(c, "free", "yes");
    return strstr(name, "beta1") == NULL || op_is(c, "gate", "softmax");
}

bool domain_reads(const op_case *c, size_t i, size_t e)
{
    const char *name = c->op->in[i].name;
    if (begins(c, "convergence.") && input(c, "nu") != NULL) return model_has(c, name);
    if (!begins(c, "simsmoe.")) return true;
    if (strcmp(name, "counter") == 0) return e / op_dim(c, 'N') < e % op_dim(c, 'N');
    return (strcmp(name, "wh") != 0 && strcmp(name, "bh") != 0) || op_is(c, "kind", "mlp");
}

bool domain_reads_cotangent(const op_case *c, size_t i)
{
    return !is(c, "convergence.hvp") || model_has(c, c->op->out[i].name);
}

/* --- chapter K --- */

static bool equal_rows(size_t n, size_t p, const double *x)
{
    for (size_t e = p; e < n * p; e++)
        if (x[e] != x[e - p]) return false;
    return true;
}

static int ascending(const void *a, const void *b)
{
    const long double x = *(const long double *)a, y = *(const long double *)b;
    return (x > y) - (x < y);
}

/* The middle squared distances of (K.3) among n rows, the same twice where there is one. */
static void middle(const op_case *c, size_t n, size_t p, const double *x, long double *a, long double *b)
{
    const bool with = op_is(c, "diagonal", "with");
    long double *D = room(n * n, sizeof *D);
    size_t m = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            if (i == j && !with) continue;
            for (size_t k = 0; k < p; k++) {
                const long double off = (long double)x[i * p + k] - (long double)x[j * p + k];
                D[m] += off * off;
            }
            m++;
        }
    qsort(D, m, sizeof *D, ascending);
    *a = D[(m - 1) / 2];
    *b = op_is(c, "middle", "mean") ? D[m / 2] : *a;
    free(D);
}

/* The bandwidth of n rows: 0 if there is none, -1 if some of it may underflow. */
static long double bandwidth(const op_case *c, size_t n, size_t p, const double *x)
{
    long double a = 1, b = 1;
    const double sigma = op_real(c, "sigma");
    if (op_is(c, "bandwidth", "median")) middle(c, n, p, x, &a, &b);
    if (b == 0) return 0;
    const long double square = (long double)sigma * (long double)sigma * b;
    return b < 0x1p-1000L || square < 0x1p-1000L ? -1 : square;
}

/* Samples that share a kernel. */
static size_t batch(const op_case *c)
{
    return is(c, "similarity.minibatch") ? (size_t)op_int(c, "batch") : op_dim(c, 'n');
}

/* Is there a bandwidth in each batch of this representation, and does it vary in any? */
static bool side_holds(const op_case *c, char width, const double *x)
{
    const size_t n = op_dim(c, 'n'), p = op_dim(c, width), each = batch(c);
    bool varies = is(c, "similarity.kernel") || is(c, "similarity.hsic");
    for (size_t first = 0; first < n; first += each) {
        if (op_is(c, "kernel", "rbf") && bandwidth(c, each, p, x + first * p) == 0) return false;
        varies = varies || !equal_rows(each, p, x + first * p);
    }
    return varies;
}

static bool bandwidth_underflows(const op_case *c, char width, const double *x)
{
    const size_t p = op_dim(c, width), each = batch(c);
    for (size_t first = 0; first < op_dim(c, 'n') && op_is(c, "kernel", "rbf"); first += each)
        if (bandwidth(c, each, p, x + first * p) < 0) return true;
    return false;
}

static bool similarity_holds(const op_case *c)
{
    if (is(c, "similarity.cosine")) return true;
    return side_holds(c, 'p', op_in(c, "x")) && (is(c, "similarity.kernel") || side_holds(c, 'q', op_in(c, "y")));
}

/* Is there an output of which the twin knows nothing in binary64?  So it is where a divisor may be 0. */
static bool twin_is_silent(const op_case *c)
{
    twin_result r;
    char err[512];
    bool silent = twin_run(c, twin_profile_find("f64"), NULL, TWIN_BITS, &r, err, sizeof err) != 0;
    for (size_t i = 0; !silent && c->op->out[i].name != NULL; i++)
        for (size_t e = 0; e < r.out[i].count; e++) silent = silent || isinf(r.out[i].rad[e]);
    twin_result_clear(&r);
    return silent;
}

static bool similarity_doubtful(const op_case *c)
{
    if (is(c, "similarity.cosine")) return false;
    if (bandwidth_underflows(c, 'p', op_in(c, "x"))) return true;
    if (is(c, "similarity.kernel")) return false;
    if (bandwidth_underflows(c, 'q', op_in(c, "y"))) return true;
    return !is(c, "similarity.hsic") && twin_is_silent(c);
}

/* --- chapter S --- */

static bool distinct_below(const op_value *v, size_t N)
{
    const size_t K = v->dim[1];
    for (size_t i = 0; i < v->count; i++) {
        if (v->i64[i] < 0 || (uint64_t)v->i64[i] >= N) return false;
        for (size_t j = i / K * K; j < i; j++)
            if (v->i64[i] == v->i64[j]) return false;
    }
    return true;
}

/* Experts of a token that differ, counters that are not negative, flags of pairs that are 0 or 1. */
static bool simsmoe_holds(const op_case *c)
{
    if (is(c, "simsmoe.head")) return true;
    const size_t N = op_dim(c, 'N');
    const op_value *index = input(c, "index"), *counter = input(c, "counter"), *selected = input(c, "selected");
    if (index != NULL && !distinct_below(index, N)) return false;
    for (size_t e = 0; e < N * N; e++) {
        if (e / N >= e % N) continue;
        if (counter != NULL && !(counter->f64[e] >= 0)) return false;
        if (selected != NULL && selected->i64[e] != 0 && selected->i64[e] != 1) return false;
    }
    return true;
}

/* --- chapter T --- */

static bool all_above_0(const op_value *v)
{
    for (size_t i = 0; i < v->count; i++)
        if (!(v->f64[i] > 0)) return false;
    return true;
}

static bool all_in_unit(const op_value *v)
{
    for (size_t i = 0; i < v->count; i++)
        if (!(v->f64[i] >= 0 && v->f64[i] < 1)) return false;
    return true;
}

/* How many true atoms may be the nearest one of an estimated atom, and one of them. */
static size_t nearest(const op_case *c, size_t i, size_t *cell)
{
    const size_t N = op_dim(c, 'N'), d = op_dim(c, 'd');
    long double far[64], least = INFINITY;
    size_t open = 0;
    for (size_t j = 0; j < N; j++) {
        far[j] = 0;
        for (size_t l = 0; l < d; l++) {
            const long double off =
                (long double)op_in(c, "atoms")[i * d + l] - (long double)op_in(c, "truth")[j * d + l];
            far[j] += off * off;
        }
        least = fminl(least, far[j]);
    }
    for (size_t j = N; j-- > 0;)
        if (far[j] <= least * (1 + 0x1p-40L)) {
            *cell = j;
            open++;
        }
    return open;
}

/* The most atoms that a cell has; 0 if it is open in which cell one of them is. */
static size_t most_in_a_cell(const op_case *c)
{
    size_t size[64] = {0}, most = 0, cell = 0;
    for (size_t i = 0; i < op_dim(c, 'S'); i++) {
        if (nearest(c, i, &cell) != 1) return 0;
        if (++size[cell] > most) most = size[cell];
    }
    return most;
}

/* Samples with weights, of which least squares is taken over the features and 1. */
typedef struct {
    size_t n, d;
    long double *x, *weight; /* x [n,d]: centred at the weighted mean */
    long double mass;
    double most[32], spread[32], kept[32];
    /* of each feature: its largest magnitude, its root mean square about the mean, and how much of that square is left
     * when the features before it are taken off */
} weighted;

static long double inner(const weighted *w, size_t k, size_t l)
{
    long double s = 0;
    for (size_t t = 0; t < w->n; t++) s += w->weight[t] * w->x[t * w->d + k] * w->x[t * w->d + l];
    return s;
}

static void centre_column(weighted *w, size_t l)
{
    long double mean = 0, most = 0;
    for (size_t t = 0; t < w->n; t++) {
        mean += w->weight[t] * w->x[t * w->d + l];
        if (w->weight[t] > 0) most = fmaxl(most, fabsl(w->x[t * w->d + l]));
    }
    for (size_t t = 0; t < w->n; t++) w->x[t * w->d + l] -= mean / w->mass;
    w->most[l] = (double)most;
}

/* Gram and Schmidt, of the columns themselves and not of their products: twice as many digits as a Cholesky factor has. */
static void measure(weighted *w)
{
    w->mass = 0;
    for (size_t t = 0; t < w->n; t++) w->mass += w->weight[t];
    for (size_t l = 0; l < w->d && w->mass > 0; l++) {
        centre_column(w, l);
        const long double whole = inner(w, l, l);
        for (size_t k = 0; k < l; k++) {
            const long double own = inner(w, k, k), share = own > 0 ? inner(w, k, l) / own : 0;
            for (size_t t = 0; t < w->n; t++) w->x[t * w->d + l] -= share * w->x[t * w->d + k];
        }
        w->spread[l] = (double)sqrtl(whole / w->mass);
        w->kept[l] = whole > 0 ? (double)(inner(w, l, l) / whole) : 0;
    }
}

/* The samples of atom i: by its labels, or by its responsibilities. */
static weighted samples_of(const op_case *c, size_t i)
{
    const size_t n = op_dim(c, 'n'), d = op_dim(c, 'd');
    weighted w = {n, d, room(n * d, sizeof *w.x), room(n, sizeof *w.weight), 0, {0}, {0}, {0}};
    for (size_t e = 0; e < n * d; e++) w.x[e] = op_in(c, "x")[e];
    for (size_t t = 0; t < n; t++)
        w.weight[t] = is(c, "convergence.oracle") ? op_in_i64(c, "label")[t] == (int64_t)i
                                                  : op_out(c, "q")[t * op_dim(c, 'N') + i];
    measure(&w);
    return w;
}

static void samples_free(weighted *w)
{
    free(w->x);
    free(w->weight);
}

static size_t atoms_of(const op_case *c)
{
    return is(c, "convergence.oracle") ? (size_t)op_int(c, "experts") : op_dim(c, 'N');
}

/* Do the features determine nothing, whatever is rounded?  One of them does not vary, or depends on those before it with a
 * spread that a mean's rounding does not reach. */
static bool spans_nothing(const weighted *w)
{
    bool clear = true;
    for (size_t l = 0; l < w->d; l++) {
        if (w->spread[l] == 0) return true;
        clear = clear && w->spread[l] > 0x1p-20 * w->most[l];
        if (clear && w->kept[l] < 0x1p-46) return true;
    }
    return false;
}

/* May a pivot be found to keep less than 2^-40 of itself, or a feature not to vary beyond the rounding of its mean? */
static bool spans_little(const weighted *w)
{
    if (!(w->mass > 0x1p-900L)) return true;
    for (size_t l = 0; l < w->d; l++)
        if (w->kept[l] < 0x1p-38 || !(w->spread[l] > 8 * (double)(w->n + 2) * 0x1p-53 * w->most[l]) ||
            !(w->spread[l] * w->spread[l] * (double)w->mass > 0x1p-900))
            return true;
    return false;
}

static bool label_fits(const op_case *c, size_t i)
{
    size_t count = 0;
    for (size_t t = 0; t < op_dim(c, 'n'); t++) count += op_in_i64(c, "label")[t] == (int64_t)i;
    return count >= op_dim(c, 'd') + 2;
}

static bool oracle_holds(const op_case *c)
{
    const int64_t atoms = op_int(c, "experts");
    for (size_t t = 0; t < op_dim(c, 'n'); t++)
        if (op_in_i64(c, "label")[t] < 0 || op_in_i64(c, "label")[t] >= atoms) return false;
    for (size_t i = 0; i < (size_t)atoms; i++)
        if (!label_fits(c, i)) return false;
    return true;
}

static bool any_atom(const op_case *c, bool (*has)(const weighted *w))
{
    bool any = false;
    for (size_t i = 0; i < atoms_of(c) && !any; i++) {
        weighted w = samples_of(c, i);
        any = has(&w);
        samples_free(&w);
    }
    return any;
}

static bool constant_feature(const op_case *c)
{
    const size_t n = op_dim(c, 'n'), d = op_dim(c, 'd');
    for (size_t l = 0; l < d; l++) {
        size_t same = 0;
        while (same < n && op_in(c, "x")[same * d + l] == op_in(c, "x")[l]) same++;
        if (same == n) return true;
    }
    return false;
}

static bool convergence_holds(const op_case *c)
{
    const op_value *nu = input(c, "nu"), *other = input(c, "qnu"), *u = input(c, "u");
    if ((nu != NULL && !all_above_0(nu)) || (other != NULL && !all_above_0(other))) return false;
    if (u != NULL && !all_in_unit(u)) return false;
    if (is(c, "convergence.em")) return !constant_feature(c);
    if (is(c, "convergence.oracle")) return oracle_holds(c) && !any_atom(c, spans_nothing);
    if (is(c, "convergence.voronoi") && op_is(c, "powers", "cell")) return most_in_a_cell(c) <= 3;
    return true;
}

/* Residuals that may all be 0: the oracle has no variance for them. */
static bool fits_exactly(const op_case *c)
{
    twin_result r;
    char err[512];
    bool exact = twin_run(c, twin_profile_find("f64"), NULL, TWIN_BITS, &r, err, sizeof err) != 0;
    for (size_t i = 0; !exact && c->op->out[i].name != NULL; i++)
        for (size_t e = 0; strcmp(c->op->out[i].name, "nu") == 0 && e < r.out[i].count; e++)
            exact = exact || !(r.out[i].hi[e] > r.out[i].rad[e]);
    twin_result_clear(&r);
    return exact;
}

static bool convergence_doubtful(const op_case *c)
{
    if (is(c, "convergence.em")) return any_atom(c, spans_little) || twin_is_silent(c);
    if (is(c, "convergence.oracle")) return any_atom(c, spans_little) || fits_exactly(c);
    return is(c, "convergence.voronoi") && op_is(c, "powers", "cell") && most_in_a_cell(c) == 0;
}

/* --- all three --- */

bool domain_holds(const op_case *c)
{
    if (begins(c, "similarity.")) return similarity_holds(c);
    if (begins(c, "simsmoe.")) return simsmoe_holds(c);
    return !begins(c, "convergence.") || convergence_holds(c);
}

bool domain_doubtful(const op_case *c)
{
    if (begins(c, "similarity.")) return similarity_doubtful(c);
    return begins(c, "convergence.") && convergence_doubtful(c);
}

static bool mild_values(const op_value *v, double least, double most)
{
    for (size_t i = 0; v->f64 != NULL && i < v->count; i++)
        if (v->f64[i] != 0 && !(fabs(v->f64[i]) >= least && fabs(v->f64[i]) <= most)) return false;
    return true;
}

bool domain_mild(const op_case *c)
{
    if (!begins(c, "similarity.") && !begins(c, "simsmoe.") && !begins(c, "convergence.")) return false;
    for (size_t i = 0; c->op->param != NULL && c->op->param[i].name != NULL; i++) {
        const double v = fabs(c->number[i]);
        if (c->op->param[i].type == OP_REAL && v != 0 && !(v >= 0x1p-20 && v <= 0x1p20)) return false;
    }
    const bool powers = is(c, "convergence.voronoi"); /* of distances and of e */
    for (size_t i = 0; i < OP_TENSORS; i++)
        if (!mild_values(&c->in[i], 0x1p-20, powers ? 0x1p6 : 0x1p20) || !mild_values(&c->cot[i], 0, 0x1p20))
            return false;
    return true;
}

/* --- scores --- */

static smoe_mix_shape shape_of(const op_case *c)
{
    smoe_mix_shape s = {.gate = op_is(c, "gate", "norm")       ? SMOE_MIX_NORM
                                : op_is(c, "gate", "softplus") ? SMOE_MIX_SOFTPLUS
                                                               : SMOE_MIX_SOFTPLUS_SOFTMAX,
                        .k = op_dim(c, 'N'),
                        .d = op_dim(c, 'd')};
    if (input(c, "w") == NULL) return s;
    s.H = op_dim(c, 'H');
    s.expert = op_is(c, "activation", "tanh")   ? SMOE_MIX_TANH
               : op_is(c, "activation", "gelu") ? SMOE_MIX_GELU
                                                : SMOE_MIX_SIGMOID;
    return s;
}

/* The parameters of expert i in the order of (T.1). */
static void expert(const op_case *c, const smoe_mix_shape *s, size_t i, double *eta)
{
    static const char *const hidden[] = {"w", "c", "v", "b"}, *const linear[] = {"a", "b"};
    const char *const *name = s->H > 0 ? hidden : linear;
    for (size_t j = 0; j < (s->H > 0 ? 4u : 2u); j++) {
        const op_value *v = input(c, name[j]);
        const size_t width = v->count / s->k;
        memcpy(eta, v->f64 + i * width, width * sizeof *eta);
        eta += width;
    }
}

static double *scores_of_atoms(const op_case *c)
{
    const size_t n = op_dim(c, 'n'), N = op_dim(c, 'N'), d = op_dim(c, 'd');
    const smoe_mix_shape s = shape_of(c);
    double *score = room(n * N, sizeof *score), *eta = room(smoe_mix_expert_size(&s), sizeof *eta), h = 0;
    double *work = room(smoe_mix_work(&s), sizeof *work);
    for (size_t t = 0; t < n; t++)
        for (size_t i = 0; i < N; i++) {
            const double *x = op_in(c, "x") + t * d;
            expert(c, &s, i, eta);
            smoe_mix_mean(&s, eta, x, work, &h);
            score[t * N + i] =
                op_is(c, "gate", "softmax") ? smoe_dot(d, op_in(c, "beta1") + i * d, x) : smoe_mix_score(s.gate, h);
        }
    free(eta);
    free(work);
    return score;
}

static double *nearness(const op_case *c)
{
    const size_t S = op_dim(c, 'S'), N = op_dim(c, 'N'), d = op_dim(c, 'd');
    double *score = room(S * N, sizeof *score), *off = room(d, sizeof *off);
    for (size_t e = 0; e < S * N; e++) {
        for (size_t l = 0; l < d; l++) off[l] = op_in(c, "atoms")[e / N * d + l] - op_in(c, "truth")[e % N * d + l];
        if (smoe_norm(d, off, &score[e]) != SMOE_OK) score[e] = INFINITY;
        score[e] = -score[e];
    }
    free(off);
    return score;
}

double *domain_scores(const op_case *c, size_t i)
{
    if (strcmp(c->op->out[i].name, "cell") == 0) return nearness(c);
    return begins(c, "convergence.") && strcmp(c->op->out[i].name, "index") == 0 ? scores_of_atoms(c) : NULL;
}
