/* What every function of ref/ does with its memory, and what it refuses, by the contracts in the headers.
 *
 * watched.awk makes functions with the names of those of libsmoeref; linked into this program they are called in their
 * place, by the operations of the registry and by the library itself.  Each call is first tried on copies of its arrays:
 *
 *   frames    nothing is written outside the outputs, and no input is changed
 *   memory    outputs are the same wherever the arrays lie and whatever was in them
 *   refusals  an input that is not finite, an unknown enumerator, a size of zero, K > N: the status that the header
 *             promises, and no output touched; or the value is not read: all outputs are as before, bit by bit
 *   passed on a call of another function of the library that fails is not overlooked: each in turn is made to answer that
 *             it has failed, or smoe_all_finite that something is not finite, and the caller has to refuse as well
 */
#include <check.h>
#include <dlfcn.h>
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "balance.h"
#include "compete.h"
#include "convergence.h"
#include "expert.h"
#include "gate.h"
#include "layer.h"
#include "numerics.h"
#include "op.h"
#include "similarity.h"
#include "simsmoe.h"

enum { ARRAYS = 48, GUARD = 64, SIGNATURES = 16, WHOLE = 6, REMARKS = 400, SITES = 200 };

#define IS_REAL(x) _Generic((x), double : 1, default : 0)

typedef struct {
    const char *name;
    int reads; /* an input */
    int real; /* of doubles */
    size_t size, now; /* bytes of an element; elements, by the sizes as they are now */
    void *pointer; /* to the pointer to it */
} array_of;

typedef enum { A_SIZE, A_NUMBER, AN_ENUMERATOR } knob_kind;

/* A parameter that is no array, or a field of one that is a structure. */
typedef struct {
    const char *name;
    knob_kind kind;
    int promised; /* SMOE_EINVAL if this size is 0 */
    void *place;
} knob_of;

typedef struct {
    const char *name;
    void *next; /* of libsmoeref */
    uint64_t signature[SIGNATURES];
    size_t signatures; /* how often it is tried on copies, with other sizes and options; wholly the first WHOLE times */
    bool tried, last, over; /* on copies; the call itself is being made; has been made */
    smoe_status clean, status; /* on copies, and of the call itself */
} watched;

/* --- remarks ------------------------------------------------------------------------------------------------------ */

static char remark[REMARKS][200];
static size_t remarks;

static const char *called[400];
static size_t calls;

static bool was_called(const char *name)
{
    for (size_t i = 0; i < calls; i++)
        if (strcmp(called[i], name) == 0) return true;
    return false;
}

/* What is as it should be though it looks otherwise: function, what was altered, the remark's start, why. */
static const struct {
    const char *function, *what, *remark, *reason;
} allowed[] = {
    {"smoe_gate_weights_vjp", "p", "not read", "order=topk-softmax needs the weights alone"},
    {"smoe_gate_weights_vjp", "weight", "not read", "order=softmax-topk needs the probabilities alone"},
    {"smoe_router_vjp", "p", "not read", "as smoe_gate_weights_vjp"},
    {"smoe_router_vjp", "weight", "not read", "as smoe_gate_weights_vjp"},
    {"smoe_capacity_gate_vjp", "kept->p", "not read", "as smoe_gate_weights_vjp"},
    {"smoe_capacity_gate_vjp", "kept->gate", "not read", "as smoe_gate_weights_vjp"},
    {"smoe_bandwidth_median", "D", "not read", "half of the matrix, without its diagonal, has all distances"},
    {"smoe_bandwidth_median_vjp", "D", "not read", "as smoe_bandwidth_median"},
    {"smoe_pair_counters", "counter", "not read", "only what is above the diagonal means anything"},
    {"smoe_hsic_moments", "m->xyy", "not read", "the biased form has no use for it"},
    {"smoe_hsic_moments", "m->yxx", "not read", "the biased form has no use for it"},
    {"smoe_hsic_moments", "m->sx", "",
     "smoe_moments_add refused what is not finite; sums that overflowed: SMOE_EOVRFLW"},
    {"smoe_hsic_moments", "m->sy", "", "as above"},
    {"smoe_hsic_moments", "m->c", "", "as above"},
    {"smoe_mixture_distance", "p", "",
     "-inf is the logarithm of a weight of 0; a result that is not finite is SMOE_EOVRFLW"},
    {"smoe_mixture_distance", "q", "", "as above"},
    {"smoe_capacity", "K > N", "", "a token may have more choices than there are experts: a capacity is a ratio"},
    {"smoe_expert_load_first", "K > N", "", "only the first choices are looked at"},
    {"smoe_expert_load_first", "index", "SIZE_MAX", "only the first choices are looked at"},
    {"smoe_expert_load_first", "index", "N is", "only the first choices are looked at"},
    {"smoe_expert_load_masked", "K > N", "", "SMOE_EDOM: the indices of a token go astray first"},
    {"smoe_compete_fractions", "index", "SIZE_MAX", "as smoe_expert_load_first"},
    {"smoe_compete_fractions", "index", "N is", "as smoe_expert_load_first"},
    {"smoe_compete_fractions", "K > N", "", "as smoe_expert_load_masked"},
    {"smoe_buffer_dispatch", "K > N", "", "assignments may repeat an expert"},
    {"smoe_buffer_dispatch_vjp", "K > N", "", "assignments may repeat an expert"},
    {"smoe_buffer_combine", "K > N", "", "assignments may repeat an expert"},
    {"smoe_buffer_combine_vjp", "K > N", "", "assignments may repeat an expert"},
    {"smoe_gate_weights", "call", "p is not", "order=topk-softmax: its rest is not written"},
    {"smoe_router", "call", "p is not", "as smoe_gate_weights"},
    {"smoe_gate_frozen", "call", "value is not", "scratch; T = 0"},
    {"smoe_gate_frozen_vjp", "call", "dr is not", "scratch; T = 0"},
    {"smoe_gate_frozen_vjp", "call", "dvalue is not", "scratch; T = 0"},
    {"smoe_noisy_load", "call", "order is not", "workspace; K = N"},
    {"smoe_noisy_load", "call", "value is not", "workspace; K = N"},
    {"smoe_noisy_load", "call", "P is not", "workspace; K = N"},
    {"smoe_noisy_load_vjp", "call", "order is not", "workspace; K = N"},
    {"smoe_noisy_load_vjp", "call", "value is not", "workspace; K = N"},
    {"smoe_mix_atoms", "call", "atoms is not", "[k,m], where m < p if the weights are free"},
    {"smoe_shared_layer_vjp", "shape->T", "refused", "what was kept is spoilt by it, and is looked at last"},
    {"smoe_compete_weights_sigmoid_vjp", "weight", "refused", "v is work"},
    {"smoe_compete_weights_sigmoid_vjp", "dweight", "refused", "v is work"},
    {"smoe_xmoe_softmax", "smoe_topk", "its ", "what it could refuse has been refused before"},
    {"smoe_xmoe_sigmoid", "smoe_topk", "its ", "as above"},
    {"smoe_balance_groups", "smoe_real_tokens", "its failure becomes", "it can fail with SMOE_EDOM alone"},
    {"smoe_balance_groups_vjp", "smoe_real_tokens", "its failure becomes", "as above"},
    {"smoe_mix_em_direction", "smoe_mix_check", "its failure becomes", "it can fail with SMOE_EINVAL alone"},
    {"smoe_mix_em_variances", "smoe_mix_check", "its failure becomes", "as above"},
    {"smoe_mix_m_step", "smoe_mix_check", "its failure becomes", "as above"},
    {"smoe_mix_em_step", "smoe_mix_check", "its failure becomes", "as above"},
    {"smoe_similarity_loss", "smoe_cka", "its SMOE_EDOM is lost", "a pair without a CKA is not compared"},
    {"smoe_voronoi_cells", "smoe_norm", "its ", "a distance that overflows is farther than the others"},
    {"smoe_mix_em_step", "theta", "refused", "q and loglik tell which atom has lost its weight"},
    {"smoe_mix_em_step", "y", "refused", "q and loglik tell which atom has lost its weight"},
    {"smoe_represent", "in->w1", "not read", "the weights of one expert"},
    {"smoe_represent", "in->b1", "not read", "as above"},
    {"smoe_represent", "in->w2", "not read", "as above"},
    {"smoe_represent", "in->b2", "not read", "as above"},
    {"smoe_represent", "in->wh", "not read", "head=linear has none"},
    {"smoe_represent", "in->bh", "not read", "as above"},
    {"smoe_represent", "in->wh", "refused", "the expert has answered when its head refuses"},
    {"smoe_represent", "in->bh", "refused", "as above"},
    {"smoe_represent", "in->wp", "refused", "as above"},
    {"smoe_represent", "in->bp", "refused", "as above"},
    {"smoe_represent", "call", "out->", "what the head that is asked for has no use for"},
    {"smoe_cosine_scores_vjp", "kept->zn", "not read", "the projections are not normalised"},
    {"smoe_cosine_scores_vjp", "kept->zn", "refused", "a norm below 0, which no forward keeps, is met row by row"},
    {"smoe_cosine_scores_vjp", "kept->en", "refused", "as above"},
    {"smoe_gate_perturbed_vjp", "kept->xn", "refused", "as above"},
    {"smoe_gate_perturbed_vjp", "kept->bn", "refused", "as above"},
    {NULL, NULL, NULL, NULL},
};

__attribute__((format(printf, 3, 4))) static void say(const char *function, const char *what, const char *format, ...)
{
    char text[120];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    for (size_t i = 0; allowed[i].function; i++)
        if (strcmp(allowed[i].function, function) == 0 && strcmp(allowed[i].what, what) == 0 &&
            strncmp(allowed[i].remark, text, strlen(allowed[i].remark)) == 0)
            return;
    if (remarks == REMARKS) return;
    snprintf(remark[remarks], sizeof remark[remarks], "%s, %s: %s", function, what, text);
    for (size_t i = 0; i < remarks; i++)
        if (strcmp(remark[i], remark[remarks]) == 0) return;
    remarks++;
}

/* --- one experiment ----------------------------------------------------------------------------------------------- */

typedef enum { CLEAN, AGAIN, INNER, POISON, HUGE_ONES, ASTRAY, KNOB, TOO_MANY, LAST } experiment;

/* Where a function calls another one of the library. */
typedef struct {
    const char *callee;
    const void *address; /* it returns there */
    size_t first, last; /* of all calls during the experiment CLEAN, from 1 */
} site;

typedef struct {
    char *block, *base; /* allocated; where the array starts */
    size_t bytes, guarded; /* as the contract has it for this experiment; as it is allocated */
    const char *home; /* where the caller has it */
    bool input;
    char *before, *result; /* contents at the start; after the experiment CLEAN */
} region;

static struct {
    bool on, busy;
    watched *function;
    array_of *array;
    const knob_of *knob;
    size_t arrays, regions, region_of[ARRAYS], offset[ARRAYS], count[ARRAYS];
    char *home[ARRAYS];
    uint64_t kept[64]; /* the knobs' values */
    region of[ARRAYS];
    bool shared; /* two arrays overlap */
    experiment at;
    size_t i, value, trial; /* which array, site or knob, which value, which of all experiments */
    site site[SITES];
    size_t sites, inner, depth; /* calls that it has made in this experiment; in how many it is now */
    size_t failing; /* which one of them fails; 0: none */
    smoe_status failure;
    bool failed;
    smoe_status clean;
    const char *what;
} probe;

static const uint64_t fill[] = {0x7ff8dead0000beef, 0xc045000000000000}; /* a NaN; -42 */
static const double strange[] = {NAN, INFINITY, -INFINITY};

static size_t knob_size(const knob_of *k) { return k->kind == AN_ENUMERATOR ? sizeof(int) : sizeof(double); }

static void *pointer_of(const array_of *a)
{
    void *p;
    memcpy(&p, a->pointer, sizeof p);
    return p;
}

static void point_to(const array_of *a, const char *p) { memcpy(a->pointer, &p, sizeof p); }

static void find_next(watched *f, void *next)
{
    if (!f->next) f->next = dlsym(RTLD_NEXT, f->name);
    if (!f->next) {
        fprintf(stderr, "check_refusals: there is no %s in libsmoeref\n", f->name);
        abort();
    }
    memcpy(next, &f->next, sizeof f->next);
}

/* A call that the watched function makes, and none of those that it calls: is it to fail, with probe.failure?  What fails
 * has done its work all the same, so that a caller who cannot be told does not find what was in memory. */
static bool is_to_fail(const char *callee, const void *address)
{
    if (!probe.busy || probe.depth > 0) return false;
    probe.inner++;
    if (probe.at == CLEAN) {
        site *s = probe.site;
        while (s < probe.site + probe.sites && (s->callee != callee || s->address != address)) s++;
        ck_assert(s < probe.site + SITES);
        if (s == probe.site + probe.sites) {
            *s = (site){.callee = callee, .address = address, .first = probe.inner};
            probe.sites++;
        }
        s->last = probe.inner;
    }
    if (probe.inner != probe.failing) return false;
    probe.failed = true;
    return true;
}

/* In the place of the library's: it is no smoe_status, so watched.awk leaves it alone. */
bool smoe_all_finite(size_t n, const double *x)
{
    static watched the_function = {.name = "smoe_all_finite"};
    bool (*real_one)(size_t, const double *);
    find_next(&the_function, &real_one);
    return !is_to_fail(the_function.name, __builtin_return_address(0)) && real_one(n, x);
}

static bool is_watched(const watched *f) { return probe.on && !probe.busy && !f->last && f->signatures < SIGNATURES; }

static void watch_start(watched *f, size_t arrays, array_of *array, const knob_of *knob)
{
    uint64_t hash = 0xcbf29ce484222325U;
    probe.function = f;
    probe.arrays = arrays;
    probe.array = array;
    probe.knob = knob;
    probe.busy = true;
    probe.regions = 0;
    probe.at = CLEAN;
    probe.i = probe.value = probe.trial = probe.sites = 0;
    f->over = f->last = f->tried = false;
    for (size_t k = 0; knob[k].name; k++) {
        probe.kept[k] = 0;
        memcpy(&probe.kept[k], knob[k].place, knob_size(&knob[k]));
        hash = (hash ^ probe.kept[k]) * 0x100000001b3U;
        hash ^= hash >> 29;
    }
    for (size_t k = 0; k < arrays; k++) {
        probe.home[k] = pointer_of(&array[k]);
        hash = (hash ^ (probe.home[k] != NULL)) * 0x100000001b3U;
    }
    for (size_t k = 0; k < f->signatures; k++)
        if (f->signature[k] == hash) probe.at = LAST;
    if (f->signatures == 0) called[calls++] = f->name;
    f->tried = probe.at == CLEAN;
    if (probe.at == CLEAN) f->signature[f->signatures++] = hash;
}

static void restore(void)
{
    for (size_t k = 0; probe.knob[k].name; k++) memcpy(probe.knob[k].place, &probe.kept[k], knob_size(&probe.knob[k]));
    for (size_t k = 0; k < probe.arrays; k++) point_to(&probe.array[k], probe.home[k]);
}

static const knob_of *knob_named(const char *name)
{
    for (const knob_of *k = probe.knob; k->name; k++) {
        const char *last = strrchr(k->name, '>');
        if (strcmp(last ? last + 1 : k->name, name) == 0 && k->kind == A_SIZE) return k;
    }
    return NULL;
}

/* The next experiment of this stage that there is, or the next stage. */
static bool is_possible(void)
{
    if (probe.at == INNER)
        return probe.i < probe.sites && (probe.value < 2 || probe.site[probe.i].last > probe.site[probe.i].first);
    if (probe.at == POISON) {
        const array_of *a = &probe.array[probe.i];
        return a->reads && a->real && probe.count[probe.i] > probe.value / 3 &&
               (probe.value < 6 || probe.count[probe.i] > 2);
    }
    if (probe.at == HUGE_ONES) {
        const array_of *a = &probe.array[probe.i];
        return a->reads && a->real && probe.count[probe.i] > 0 && !probe.shared;
    }
    if (probe.at == ASTRAY) {
        const array_of *a = &probe.array[probe.i];
        return a->reads && !a->real && a->size == sizeof(size_t) && probe.count[probe.i] > probe.value / 3 &&
               (probe.value < 6 || probe.count[probe.i] > 2) &&
               (probe.value % 3 == 0 || (probe.value % 3 == 1 && knob_named("N")));
    }
    if (probe.at == KNOB) {
        const knob_of *k = &probe.knob[probe.i];
        if (k->kind == A_SIZE) return probe.value == 0 && !probe.shared && !strstr(k->name, "chunk");
        return k->kind == AN_ENUMERATOR ? probe.value == 0 : probe.value < 3;
    }
    return probe.at != TOO_MANY || (!probe.shared && knob_named("K") && knob_named("N"));
}

static void step(void)
{
    if (probe.at == INNER && (++probe.value < 3 || (probe.value = 0, ++probe.i < probe.sites))) return;
    if ((probe.at == POISON || probe.at == HUGE_ONES || probe.at == ASTRAY) &&
        (++probe.value < 9 || (probe.value = 0, ++probe.i < probe.arrays)))
        return;
    if (probe.at == KNOB && (++probe.value < 3 || (probe.value = 0, probe.knob[++probe.i].name != NULL))) return;
    const bool inner_alone = probe.function->signatures > WHOLE;
    if ((probe.at == CLEAN && probe.clean != SMOE_OK) || (probe.at == INNER && (probe.arrays == 0 || inner_alone)))
        probe.at = LAST;
    else
        probe.at = probe.at == CLEAN && inner_alone ? INNER : probe.at + 1;
    probe.i = probe.value = 0;
    if (probe.at == KNOB && !probe.knob[0].name) probe.at++;
}

/* A contract may speak of an array twice. */
static void at_least(array_of *a, size_t n)
{
    if (n > a->now) a->now = n;
}

static bool watch_more(watched *f)
{
    if (f->over) return false;
    restore();
    for (size_t k = 0; k < probe.arrays; k++) probe.array[k].now = 0;
    if (probe.trial++ > 0) do
            step();
        while (!is_possible());
    if (probe.at == LAST) {
        for (size_t j = 0; j < probe.regions; j++) free(probe.of[j].result);
        f->last = true;
        probe.busy = false;
        return true;
    }
    probe.what = "call";
    probe.inner = probe.failing = 0;
    probe.failed = false;
    if (probe.at == INNER) {
        const site *s = &probe.site[probe.i];
        probe.what = s->callee;
        probe.failing = probe.value == 2 ? s->last : s->first;
        probe.failure = probe.value == 1 ? SMOE_EDOM : SMOE_EOVRFLW;
    }
    if (probe.at == POISON || probe.at == HUGE_ONES || probe.at == ASTRAY) probe.what = probe.array[probe.i].name;
    if (probe.at == KNOB) {
        const knob_of *k = &probe.knob[probe.i];
        const int none = 99;
        const size_t zero = 0;
        probe.what = k->name;
        if (k->kind == A_SIZE) memcpy(k->place, &zero, sizeof zero);
        if (k->kind == A_NUMBER) memcpy(k->place, &strange[probe.value], sizeof *strange);
        if (k->kind == AN_ENUMERATOR) memcpy(k->place, &none, sizeof none);
    }
    if (probe.at == TOO_MANY) {
        size_t N;
        probe.what = "K > N";
        memcpy(&N, knob_named("N")->place, sizeof N);
        N++;
        memcpy(knob_named("K")->place, &N, sizeof N);
    }
    return true;
}

/* What a function starts from and writes. */
static bool is_in_and_out(const char *function, const char *name)
{
    static const char *const both[][2] = {{"smoe_accumulate_load", "total"},
                                          {"smoe_schedule_layer_mended", "load"},
                                          {"smoe_schedule_layer_published", "load"},
                                          {"smoe_mix_normal_form", "theta"},
                                          {"smoe_singular_values", "M"}};
    const size_t letters = strlen(function);
    if (strcmp(function + letters - 4, "_acc") == 0) return strncmp(name, "dw", 2) == 0 || strncmp(name, "db", 2) == 0;
    for (size_t i = 0; i < sizeof both / sizeof *both; i++)
        if (strcmp(both[i][0], function) == 0 && strcmp(both[i][1], name) == 0) return true;
    return false;
}

/* Arrays that overlap in the caller's memory are one region, and overlap in the copies too. */
static void find_regions(void)
{
    size_t order[ARRAYS];
    for (size_t k = 0; k < probe.arrays; k++) {
        size_t j = k;
        probe.count[k] = probe.array[k].now;
        for (; j > 0 && probe.home[order[j - 1]] > probe.home[k]; j--) order[j] = order[j - 1];
        order[j] = k;
    }
    probe.regions = 0;
    probe.shared = false;
    for (size_t j = 0; j < probe.arrays; j++) {
        const size_t k = order[j], bytes = probe.count[k] * probe.array[k].size;
        const bool input = probe.array[k].reads || is_in_and_out(probe.function->name, probe.array[k].name);
        region *r = probe.regions ? &probe.of[probe.regions - 1] : NULL;
        if (r && r->home && probe.home[k] < r->home + r->bytes && bytes > 0) {
            probe.shared = true;
            r->input = r->input || input;
            const size_t end = (size_t)(probe.home[k] - r->home) + bytes;
            if (end > r->bytes) r->bytes = end;
        } else {
            r = &probe.of[probe.regions++];
            *r = (region){.home = probe.home[k], .bytes = bytes, .input = input};
        }
        probe.region_of[k] = (size_t)(r - probe.of);
        probe.offset[k] = (size_t)(probe.home[k] - r->home);
    }
}

static void fill_words(char *p, size_t bytes, uint64_t word)
{
    for (size_t i = 0; i < bytes; i += 8) memcpy(p + i, &word, bytes - i < 8 ? bytes - i : 8);
}

static void copy_region(size_t index)
{
    region *r = &probe.of[index];
    size_t bytes = r->bytes;
    for (size_t k = 0; k < probe.arrays && !probe.shared; k++)
        if (probe.region_of[k] == index && probe.array[k].now > probe.count[k])
            bytes = probe.array[k].now * probe.array[k].size;
    r->guarded = bytes;
    const size_t shift = 8 * (probe.trial % 4);
    r->block = malloc(bytes + (2 * GUARD + 4) * 8);
    r->before = malloc(bytes + 1);
    ck_assert(r->block && r->before);
    r->base = r->block + GUARD * 8 + shift;
    fill_words(r->base - GUARD * 8, bytes + 2 * GUARD * 8, fill[probe.at == AGAIN]);
    if (r->input && r->bytes) memcpy(r->base, r->home, r->bytes);
}

/* Where AddressSanitizer is loaded (tests/memory_test.sh), it sees reads of the words around a copy. */
static void close_guards(bool close)
{
    void (*mark)(const volatile void *, size_t);
    *(void **)&mark = dlsym(RTLD_DEFAULT, close ? "__asan_poison_memory_region" : "__asan_unpoison_memory_region");
    for (size_t j = 0; j < probe.regions && mark; j++) {
        const region *r = &probe.of[j];
        mark(r->base - GUARD * 8, GUARD * 8);
        mark(r->base + r->guarded, GUARD * 8);
    }
}

/* All of an array times the power of two that brings its largest element below 2^(exponent + 1). */
static void scale_to(const array_of *a, size_t n, int exponent)
{
    double *x = pointer_of(a), largest = 0;
    for (size_t k = 0; k < n; k++) largest = fmax(largest, fabs(x[k]));
    const int shift = largest > 0 ? exponent - ilogb(largest) : 0;
    for (size_t k = 0; k < n; k++) x[k] = ldexp(x[k], shift);
}

/* 0, 1: the first, the last element is the largest number, the other arrays grow a little; 2, 3: as it is, negative;
 * 4: the middle one; 5: the array is as large as can be; 6: all arrays are, together; 7: this one alone; 8: this one and one more. */
static void make_huge(void)
{
    const size_t n = probe.count[probe.i], where[] = {0, n - 1, 0, n - 1, n / 2};
    double *x = pointer_of(&probe.array[probe.i]);
    for (size_t k = 0; k < probe.arrays; k++) {
        const array_of *a = &probe.array[k];
        if (!a->reads || !a->real || probe.count[k] == 0) continue;
        if (probe.value == 6) scale_to(a, probe.count[k], 511);
        if (probe.value < 5 && k != probe.i)
            for (size_t j = 0; j < probe.count[k]; j++) ((double *)pointer_of(a))[j] *= 8;
        if (probe.value == 8 && k == (probe.i + 1) % probe.arrays) scale_to(a, probe.count[k], 1000);
    }
    if (probe.value < 5) x[where[probe.value]] = probe.value == 2 || probe.value == 3 ? -DBL_MAX : DBL_MAX;
    if (probe.value == 5 || probe.value == 7) scale_to(&probe.array[probe.i], n, probe.value == 5 ? 1023 : 520);
    if (probe.value == 8) scale_to(&probe.array[probe.i], n, 24);
}

static void watch_place(watched *f)
{
    if (f->last) return;
    if (probe.at == CLEAN) find_regions();
    for (size_t j = 0; j < probe.regions; j++) copy_region(j);
    for (size_t k = 0; k < probe.arrays; k++)
        if (probe.home[k]) point_to(&probe.array[k], probe.of[probe.region_of[k]].base + probe.offset[k]);
    if (probe.at == POISON) {
        const size_t n = probe.count[probe.i], where[] = {0, n - 1, n / 2};
        memcpy((char *)pointer_of(&probe.array[probe.i]) + 8 * where[probe.value / 3], &strange[probe.value % 3],
               sizeof *strange);
    }
    if (probe.at == HUGE_ONES) make_huge();
    if (probe.at == ASTRAY) {
        const size_t n = probe.count[probe.i], where[] = {0, n - 1, n / 2};
        size_t astray = SIZE_MAX;
        if (probe.value % 3 == 1) memcpy(&astray, knob_named("N")->place, sizeof astray);
        memcpy((char *)pointer_of(&probe.array[probe.i]) + 8 * where[probe.value / 3], &astray, sizeof astray);
    }
    for (size_t j = 0; j < probe.regions; j++) memcpy(probe.of[j].before, probe.of[j].base, probe.of[j].guarded);
    close_guards(true);
}

static bool has_words(const char *p, size_t bytes, uint64_t word)
{
    const size_t first = bytes < 8 ? bytes : 8;
    return memcmp(p, &word, first) == 0 && memcmp(p, p + first, bytes - first) == 0;
}

/* Work and what a forward keeps may be written before a refusal. */
static bool is_work(const char *name)
{
    return strncmp(name, "work", 4) == 0 || strncmp(name, "kept", 4) == 0 || strcmp(name, "row") == 0 ||
           strstr(name, "_kept");
}

static bool is_untouched(void)
{
    for (size_t k = 0; k < probe.arrays; k++) {
        const region *r = &probe.of[probe.region_of[k]];
        if (!probe.array[k].reads && !is_work(probe.array[k].name) && probe.home[k] &&
            memcmp(r->base + probe.offset[k], r->before + probe.offset[k], probe.count[k] * probe.array[k].size) != 0)
            return false;
    }
    return true;
}

static bool is_as_clean(void)
{
    for (size_t j = 0; j < probe.regions; j++)
        if (!probe.of[j].input && memcmp(probe.of[j].base, probe.of[j].result, probe.of[j].bytes) != 0) return false;
    return true;
}

static void check_frames(void)
{
    const char *name = probe.function->name;
    for (size_t k = 0; k < probe.arrays; k++) {
        const region *r = &probe.of[probe.region_of[k]];
        const size_t now = probe.array[k].now * probe.array[k].size;
        const uint64_t word = fill[probe.at == AGAIN];
        if (!probe.home[k]) continue;
        if (!has_words(r->base - GUARD * 8, GUARD * 8, word))
            say(name, probe.what, "writes before %s", probe.array[k].name);
        if (!has_words(r->base + r->guarded, GUARD * 8, word))
            say(name, probe.what, "writes after %s", probe.array[k].name);
        if (!probe.shared && now < r->guarded && memcmp(r->base + now, r->before + now, r->guarded - now) != 0)
            say(name, probe.what, "writes beyond the end of %s", probe.array[k].name);
        if (!probe.shared && probe.array[k].reads && memcmp(r->base, r->before, r->guarded) != 0)
            say(name, probe.what, "changes %s, an input", probe.array[k].name);
    }
}

/* Words that neither run wrote hold what each run found there: in work, not in an output. */
static void check_memory(void)
{
    for (size_t k = 0; k < probe.arrays; k++) {
        const region *r = &probe.of[probe.region_of[k]];
        bool depends = false, left = false;
        for (size_t i = 0; !r->input && i + 8 <= r->bytes; i += 8) {
            const bool kept = has_words(r->base + i, 8, fill[1]) && has_words(r->result + i, 8, fill[0]);
            left = left || kept;
            depends = depends || (!kept && memcmp(r->base + i, r->result + i, 8) != 0);
        }
        if (depends) say(probe.function->name, probe.what, "%s depends on what was in memory", probe.array[k].name);
        if (left && probe.clean == SMOE_OK && !is_work(probe.array[k].name))
            say(probe.function->name, probe.what, "%s is not written whole", probe.array[k].name);
    }
}

/* Of the other arrays of whole numbers some may hold anything: counts, places with SMOE_DROPPED. */
static bool is_index(const char *name)
{
    static const char *const all[] = {"index",     "out->index", "gate->index", "choice",
                                      "in->token", "in->target", "order"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i], name) == 0) return true;
    return false;
}

static bool is_refused(smoe_status status) { return status == SMOE_EDOM || status == SMOE_EINVAL; }

/* Outputs of a call that went well are finite; a margin may be infinite. */
static void check_overflow(smoe_status status)
{
    for (size_t k = 0; k < probe.arrays && status == SMOE_OK; k++) {
        const array_of *a = &probe.array[k];
        const region *r = &probe.of[probe.region_of[k]];
        if (a->reads || !a->real || !probe.home[k] || is_work(a->name) || strstr(a->name, "margin")) continue;
        const double *x = (const double *)(void *)(r->base + probe.offset[k]);
        for (size_t j = 0; j < probe.count[k]; j++)
            if (!isfinite(x[j]) && memcmp(&x[j], &fill[0], sizeof x[j]) != 0) {
                say(probe.function->name, probe.what, "%s is not finite, but no overflow is told", a->name);
                break;
            }
    }
}

static void check_refusal(smoe_status status)
{
    const char *name = probe.function->name;
    const knob_of *k = probe.at == KNOB ? &probe.knob[probe.i] : NULL;
    const bool size = probe.at == TOO_MANY || (k && k->kind == A_SIZE);
    if (probe.at == HUGE_ONES) check_overflow(status);
    if (is_refused(status) && !is_untouched()) say(name, probe.what, "refused, but outputs are written");
    if (probe.at == POISON && status != SMOE_EDOM && !(status == SMOE_OK && is_as_clean()))
        say(name, probe.what, "%g is taken for a number: %s", strange[probe.value % 3], smoe_strerror(status));
    if (probe.at == POISON && status == SMOE_OK && is_as_clean()) say(name, probe.what, "not read");
    if (probe.at == ASTRAY && status != SMOE_EDOM && is_index(probe.what))
        say(name, probe.what, "%s is taken for an index: %s", probe.value % 3 ? "N" : "SIZE_MAX",
            smoe_strerror(status));
    if (k && !size && !is_refused(status) && !(status == SMOE_OK && is_as_clean()))
        say(name, probe.what, "%s is accepted: %s", k->kind == A_NUMBER ? "not a number" : "none",
            smoe_strerror(status));
    if (((k && k->promised) || probe.at == TOO_MANY) && status != SMOE_EINVAL)
        say(name, probe.what, "SMOE_EINVAL is promised: %s", smoe_strerror(status));
}

/* What was found to be wrong with what the function has worked out may be called an overflow. */
static void check_passed_on(smoe_status status)
{
    const char *name = probe.function->name;
    const bool any = strcmp(probe.what, "smoe_all_finite") == 0 || probe.failure == SMOE_EDOM;
    if (!probe.failed) say(name, probe.what, "is not called again");
    if (status == SMOE_OK)
        say(name, probe.what, "its %s is lost", probe.failure == SMOE_EDOM ? "SMOE_EDOM" : "failure");
    else if (status != SMOE_EOVRFLW && !(any && status == SMOE_EDOM))
        say(name, probe.what, "its failure becomes: %s", smoe_strerror(status));
}

static void watch_take(watched *f, smoe_status status)
{
    if (f->last) {
        if (f->tried && status != f->clean) say(f->name, "call", "the status depends on what lies around the arrays");
        f->status = status;
        f->last = false;
        f->over = true;
        return;
    }
    close_guards(false);
    check_frames();
    if (probe.at == CLEAN) {
        f->clean = probe.clean = status;
        if (is_refused(status) && !is_untouched()) say(f->name, probe.what, "refused, but outputs are written");
        for (size_t j = 0; j < probe.regions; j++) {
            probe.of[j].result = malloc(probe.of[j].bytes + 1);
            ck_assert_ptr_nonnull(probe.of[j].result);
            memcpy(probe.of[j].result, probe.of[j].base, probe.of[j].bytes);
        }
    } else if (probe.at == AGAIN) {
        if (status != probe.clean) say(f->name, probe.what, "the status depends on what was in memory");
        check_memory();
    } else if (probe.at == INNER)
        check_passed_on(status);
    else
        check_refusal(status);
    for (size_t j = 0; j < probe.regions; j++) {
        free(probe.of[j].block);
        free(probe.of[j].before);
    }
}

/* --- the functions ------------------------------------------------------------------------------------------------ */

static size_t mix_e(const smoe_mix_shape *s) { return s->expert == SMOE_MIX_LINEAR ? s->d + 1 : s->H * (s->d + 2) + 1; }

static size_t mix_all(const smoe_mix_shape *s)
{
    return s->k * (mix_e(s) + 1 + (s->free_weights ? 1 : 0) + (s->gate == SMOE_MIX_SOFTMAX ? s->d : 0));
}

static size_t mix_w(const smoe_mix_shape *s) { return 16 * s->k + 2 * s->H; }

static size_t smoe_chunk(const smoe_layer_shape *s, const smoe_compete_options *o)
{
    return 0 < o->chunk && o->chunk < s->T ? o->chunk : s->T;
}

#include "watched.h"

/* --- the registry's operations ------------------------------------------------------------------------------------ */

static void assert_no_remarks(void)
{
    for (size_t i = 0; i < remarks; i++) fprintf(stderr, "%s\n", remark[i]);
    ck_assert_msg(remarks == 0, "%zu remarks, the first: %s", remarks, remark[0]);
}

static void run_operations(bool light)
{
    for (size_t i = 0; op_registry[i]; i++)
        for (const op_spec *s = op_registry[i]->cases; s->name; s++) {
            char err[400];
            if (op_in_suite(s, "large") || (light && !op_in_suite(s, "smoke"))) continue;
            op_case *c = op_case_from_spec(op_registry[i], s, 1, err, sizeof err);
            ck_assert_msg(c != NULL, "%s.%s: %s", op_registry[i]->id, s->name, err);
            probe.on = true;
            const smoe_status status = op_run(c);
            probe.on = false;
            ck_assert_msg(status == SMOE_OK, "%s.%s: %s", op_registry[i]->id, s->name, smoe_strerror(status));
            op_case_free(c);
        }
}

/* --- functions that no operation calls ---------------------------------------------------------------------------- */

enum { ROOM = 400 };
static double in[12][ROOM], out[12][ROOM];

static void draw(uint64_t seed)
{
    op_rng *r = op_rng_new(seed, "refusals");
    for (size_t a = 0; a < 12; a++) op_fill_normal(r, 1, ROOM, in[a]);
    op_rng_free(r);
}

#define CALL(call)                                                                                                     \
    do {                                                                                                               \
        probe.on = true;                                                                                               \
        const smoe_status status_ = call;                                                                              \
        probe.on = false;                                                                                              \
        ck_assert_msg(status_ == SMOE_OK, #call ": %s", smoe_strerror(status_));                                       \
    } while (0)

static void call_experts(size_t T, size_t d, size_t h)
{
    CALL(smoe_expert_relu(T, d, h, in[0], in[1], in[2], in[3], in[4], out[0], out[1], out[2]));
    CALL(smoe_expert_relu_vjp(T, d, h, in[0], in[1], in[3], out[0], out[1], in[5], out[3], out[4], out[5], out[6],
                              out[7], out[8]));
    CALL(smoe_expert_gelu(T, d, h, in[0], in[1], in[2], in[3], in[4], out[0], out[1], out[2]));
    CALL(smoe_expert_gelu_vjp(T, d, h, in[0], in[1], in[3], out[0], out[1], in[5], out[3], out[4], out[5], out[6],
                              out[7], out[8]));
    CALL(smoe_expert_swiglu(T, d, h, in[0], in[1], in[2], in[3], out[0], out[1], out[2], out[3]));
    CALL(smoe_expert_gelu_tanh(T, d, h, in[0], in[1], in[2], in[3], in[4], out[0], out[1], out[2]));
    CALL(smoe_expert_gelu_tanh_vjp(T, d, h, in[0], in[1], in[3], out[0], out[1], in[5], out[3], out[4], out[5], out[6],
                                   out[7], out[8]));
}

static void call_losses(size_t T, size_t N, size_t K)
{
    size_t index[ROOM];
    CALL(smoe_mean_probability_vjp(T, N, in[0], out[0]));
    for (size_t t = 0; t < T; t++) {
        smoe_softmax(N, in[1] + t * N, out[1] + t * N);
        smoe_softmax(N, in[2] + t * N, out[2] + t * N);
        for (size_t j = 0; j < K; j++) index[t * K + j] = (t + j) % N;
    }
    CALL(smoe_distill_loss_vjp(T, N, K, 0.5, out[1], out[2], index, 0.75, out[0]));
}

static void call_similarity(size_t n, size_t p)
{
    double *const K = in[1], *const L = in[2], *const D = in[3];
    CALL(smoe_squared_distances_vjp(n, p, in[0], in[4], out[0]));
    CALL(smoe_squared_distances_naive(n, p, in[0], D));
    CALL(smoe_squared_distances_vjp_naive(n, p, in[0], in[4], out[0]));
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) K[i * n + j] = K[j * n + i], L[i * n + j] = L[j * n + i];
    CALL(smoe_gram_rbf_vjp(n, D, 1.5, in[4], out[0], out[1]));
    CALL(smoe_centre_definition(n, K, out[0], out[1]));
    CALL(smoe_hsic_biased(n, K, L, SMOE_DIVIDE_N_LESS_1, out[0], out[1]));
    CALL(smoe_hsic_biased(n, K, L, SMOE_DIVIDE_N, out[0], out[1]));
    CALL(smoe_hsic_biased_vjp(n, K, L, SMOE_DIVIDE_NONE, 0.5, out[0], out[1]));
    CALL(smoe_hsic_debiased(n, K, L, out[0], out[1]));
    CALL(smoe_hsic_unbiased_vjp(n, K, L, 0.5, out[0], out[1], out[2]));
}

static void call_mixtures(const smoe_mix_shape *s, size_t n)
{
    double *const theta = in[0], *const x = in[1], *const y = in[2], *const q = in[3];
    const size_t p = mix_all(s) / s->k, variance = mix_e(s);
    for (size_t i = 0; i < s->k; i++) theta[i * p + variance] = 0.5 + (double)i / 4; /* of each atom */
    for (size_t t = 0; t < n; t++) smoe_softmax(s->k, in[4] + t * s->k, q + t * s->k);
    CALL(smoe_mix_mean_vjp(s, theta, x, 0.5, out[0], out[1]));
    CALL(smoe_mix_loglik_score(s, n, theta, x, y, out[0], out[1], out[2]));
    CALL(smoe_mix_complete_loglik(s, n, theta, x, y, q, out[0], out[1]));
    if (s->expert == SMOE_MIX_LINEAR && s->topk == 0) {
        CALL(smoe_mix_m_step(s, n, theta, x, y, q, 0.01, out[0], out[1]));
        CALL(smoe_mix_em_step(s, n, theta, x, y, 0.01, out[0], out[1], out[2], out[3]));
    }
    CALL(smoe_mix_atoms(s, theta, out[0], out[1]));
    memcpy(out[0], theta, mix_all(s) * sizeof *theta);
    CALL(smoe_mix_normal_form(s, out[0]));
}

/* A step in two chunks and its gradient, with what the operations of smoke leave out. */
static void call_steps(void)
{
    enum { T = 2, D = 2, H = 3, N = 3, K = 2 };
    const smoe_layer_shape s = {SMOE_TOPK_SOFTMAX, SMOE_GELU_TANH, T, D, H, N, K};
    const smoe_compete_options opt = {.weights = SMOE_WEIGHTS_SOFTMAX,
                                      .mix = 0.5,
                                      .target = SMOE_TARGET_ATTACHED,
                                      .theta = 0.25,
                                      .c_distill = 1,
                                      .c_diversity = 0.5,
                                      .c_balance = 0.25,
                                      .chunk = 1};
    const smoe_layer_in all = {in[0], in[1], in[2], in[3], in[4], in[5], in[6]};
    static double y[T * D], r[T * N], responses[T * N], weight[T * K], margin[T], term[5], kept[14][4 * T * N * H],
        work[ROOM];
    size_t index[T * K], count[N];
    const smoe_compete_out o = {y, r, responses, index, weight, margin, term, term + 1, term + 2, term + 3, term + 4};
    const smoe_compete_kept k = {kept[0], kept[1], kept[2],  kept[3],  kept[4],  kept[5],  kept[6], kept[7],
                                 kept[8], kept[9], kept[10], kept[11], kept[12], kept[13], count};
    const smoe_compete_cot cot = {in[7], in[8], 1, 0.5, 0.25, 0.125, 0};
    const smoe_layer_grad grad = {out[0], out[1], out[2], out[3], out[4], out[5], out[6]};
    ck_assert_uint_le(smoe_compete_step_vjp_work(&s, &opt), ROOM);
    CALL(smoe_compete_step(&s, &opt, &all, &o, &k));
    CALL(smoe_compete_step_vjp(&s, &opt, &all, &o, &k, &cot, &grad, work));
}

static void call_the_rest(void)
{
    double error;
    draw(1);
    call_experts(3, 2, 4);
    call_experts(1, 5, 3);
    call_losses(3, 4, 2);
    call_losses(2, 5, 1);
    call_similarity(6, 3);
    call_similarity(5, 7);
    draw(2);
    call_mixtures(&(smoe_mix_shape){SMOE_MIX_SOFTMAX, SMOE_MIX_LINEAR, true, 2, 1, 0, 0}, 30);
    call_mixtures(&(smoe_mix_shape){SMOE_MIX_NORM, SMOE_MIX_LINEAR, true, 3, 2, 0, 0}, 30);
    call_mixtures(&(smoe_mix_shape){SMOE_MIX_SOFTPLUS, SMOE_MIX_TANH, false, 2, 2, 3, 1}, 9);
    CALL(smoe_singular_values(5, 3, in[5], out[0], &error));
    call_steps();
}

/* smoe_moments_start and smoe_moments_add are given a structure to write into, so they are not watched. */
START_TEST(moments_keep_to_their_arrays)
{
    enum { P = 2, Q = 3 };
    double sums[5][8 + P * Q], work[8 + 4 * (P + Q)];
    const size_t length[] = {P, Q, P * Q, P, Q};
    for (size_t a = 0; a < 5; a++)
        for (size_t k = 0; k < 8 + P * Q; k++) sums[a][k] = -42;
    smoe_moments m = {
        .p = P, .q = Q, .sx = sums[0] + 4, .sy = sums[1] + 4, .c = sums[2] + 4, .xyy = sums[3] + 4, .yxx = sums[4] + 4};
    const double x[4 * P] = {1, 2, 0, 1, 3, 1, 2, 2}, y[4 * Q] = {1, 0, 2, 3, 1, 1, 0, 2, 1, 1, 1, 0},
                       no_shift[Q] = {0, 0, 0};
    smoe_moments_start(&m);
    for (size_t a = 0; a < 5; a++)
        for (size_t k = 0; k < 8 + P * Q; k++) ck_assert(sums[a][k] == (k >= 4 && k < 4 + length[a] ? 0 : -42));
    ck_assert_int_eq(smoe_moments_add(&m, 4, x, y, no_shift, no_shift, work), SMOE_OK);
    for (size_t a = 0; a < 5; a++)
        for (size_t k = 0; k < 8 + P * Q; k++)
            ck_assert(k >= 4 && k < 4 + length[a] ? sums[a][k] > 0 : sums[a][k] == -42);
    ck_assert(m.sx[0] == 6 && m.sx[1] == 6 && m.sy[0] == 5 && m.sy[1] == 4 &&
              m.sy[2] == 4); /* columns of x and y, added */
}
END_TEST

/* (T.8) eta = 2^-53 (A + B + 11) of one atom: weight 1 (0), what was subtracted from it 2, nu = 4, far = 5.  A = 4 (0 + 2) + 2 2 +
 * 6 ln 4 + 11 + 40, B = 3 5 / 2.  Of two equal atoms of weight 1/2 each (4 ln 2 more, 11 more): the root of the mean square. */
START_TEST(noise_of_a_mixture)
{
    const double ln2 = smoe_log(2), one[] = {0, 7, 4, 2}, two[] = {-ln2, -ln2, 7, 7, 4, 4, 2, -2};
    const double expected[] = {0x1p-53 * (63 + 12 * ln2 + 7.5 + 11), 0x1p-53 * (74 + 16 * ln2 + 7.5 + 11)};
    ck_assert(fabs(smoe_mixture_noise(1, one, 5) / expected[0] - 1) < 0x1p-50);
    ck_assert(fabs(smoe_mixture_noise(2, two, 5) / expected[1] - 1) < 0x1p-50);
}
END_TEST

/* T = 3, d = 2, h = 5, N = 4, K = 2, so that T K (2 d + h + 1) + T N + N = 60 + 12 + 4; the others by the headers likewise.  Atoms
 * have e = 5 (2 + 2) + 1 and p = e + 1 + 1 + 2. */
START_TEST(work_is_what_the_headers_say)
{
    const smoe_layer_shape s = {SMOE_TOPK_SOFTMAX, SMOE_RELU, 3, 2, 5, 4, 2};
    ck_assert_uint_eq(smoe_layer_vjp_work(&s), 76);
    ck_assert_uint_eq(smoe_shared_layer_vjp_work(&s), 76 + 18 + 15);
    ck_assert_uint_eq(smoe_router_step_vjp_work(&s), 76 + 24 + 8);
    ck_assert_uint_eq(smoe_collapse_work(2, 4), 4 * 10 + 4);
    const size_t chunk[] = {0, 1, 2, 3, 7}, tokens[] = {3, 1, 2, 3, 3};
    for (int i = 0; i < 5; i++) {
        const smoe_compete_options opt = {.chunk = chunk[i]};
        ck_assert_uint_eq(smoe_compete_step_vjp_work(&s, &opt), 36 + 6 + tokens[i] * (8 + 4 + 4 + 5) + 8 + 28 + 8);
    }
    const smoe_simsmoe_shape pairs = {.layer = s, .head = SMOE_HEAD_MLP, .g = 3, .p = 2};
    const smoe_simsmoe_options opt = {.threshold = 0};
    ck_assert_uint_eq(smoe_simsmoe_layer_vjp_work(&pairs, &opt) - smoe_similarity_loss_work(&pairs, &opt), 6 * 9 + 8);
    const smoe_mix_shape hidden = {SMOE_MIX_SOFTMAX, SMOE_MIX_TANH, true, 3, 2, 5, 0};
    const smoe_mix_shape plain = {SMOE_MIX_NORM, SMOE_MIX_LINEAR, false, 2, 2, 0, 0};
    ck_assert_uint_eq(smoe_mix_work(&hidden), 48 + 10);
    ck_assert_uint_eq(smoe_mix_em_work(&hidden), 58 + 3 * 25 + 3 * 3 * 5);
    ck_assert_uint_eq(smoe_mix_distance_work(&hidden, &plain), 58 + 32 + 9 * 5);
}
END_TEST

/* A width of 1 is no mistake. */
static void call_router(void)
{
    const smoe_layer_shape s = {SMOE_TOPK_SOFTMAX, SMOE_RELU, 3, 1, 1, 3, 2};
    size_t index[6];
    draw(3);
    CALL(smoe_router(&s, in[0], in[1], in[2], out[0], index, out[1], out[2], out[3]));
    CALL(smoe_router_vjp(&s, in[0], in[1], index, out[1], out[3], in[3], in[4], in[5], out[4], out[5], out[6], out[7]));
}

/* Every function that can be watched has been; in smoke, which valgrind gets, not all are called. */
START_TEST(contracts_hold)
{
    const bool light = getenv("SMOE_TEST_LIGHT") != NULL;
    call_the_rest();
    call_router();
    run_operations(light);
    assert_no_remarks();
    for (size_t i = 0; watched_names[i] && !light; i++)
        ck_assert_msg(was_called(watched_names[i]), "nothing calls %s", watched_names[i]);
}
END_TEST

/* --- the environment ---------------------------------------------------------------------------------------------- */

/* Functions of the C library that are as bad as some are; they stand in the place of the true ones. */
enum { TRUE_ONES, TWO_ROUNDINGS, EXTENDED_FIRST, FLUSHED, DOUBLE_ONLY };
static int bad_library;
static size_t products; /* calls of fma */

static void true_function(const char *name, void *next)
{
    void *p = dlsym(RTLD_NEXT, name);
    ck_assert_ptr_nonnull(p);
    memcpy(next, &p, sizeof p);
}

double fma(double x, double y, double z)
{
    static double (*next)(double, double, double);
    if (!next) true_function("fma", &next);
    products++;
    const double right = next(x, y, z);
    volatile double product = x * y;
    volatile long double wide = (long double)x * y + z;
    switch (bad_library) {
    case TWO_ROUNDINGS:
        return product + z;
    case EXTENDED_FIRST:
        return (double)wide;
    case FLUSHED:
        return fabs(right) < DBL_MIN ? 0 : right;
    case TRUE_ONES:
    case DOUBLE_ONLY:
        break;
    }
    return right;
}

long double erfcl(long double x)
{
    static long double (*next)(long double);
    if (!next) true_function("erfcl", &next);
    return bad_library == DOUBLE_ONLY ? (double)next(x) : next(x);
}

/* smoe_selftest sees each of them.  Where fma is an instruction, no function can stand in its place. */
START_TEST(a_bad_library_is_refused)
{
    static const char *const word[] = {"", "fma()", "fma()", "fma()", "long double functions"};
    const bool narrow = getenv("SMOE_TEST_LIGHT") != NULL || LDBL_MANT_DIG != 64; /* as under Valgrind */
    const char *what;
    products = 0;
    ck_assert_int_eq(smoe_selftest(&what), SMOE_OK);
    const bool replaced = products > 0;
    for (int i = TWO_ROUNDINGS; i <= DOUBLE_ONLY; i++) {
        if (i == DOUBLE_ONLY ? narrow : !replaced || (i == EXTENDED_FIRST && narrow)) continue;
        bad_library = i;
        const smoe_status status = smoe_selftest(&what);
        bad_library = TRUE_ONES;
        ck_assert_msg(status == SMOE_EENV && strstr(what, word[i]), "bad library %d: %s", i, what);
    }
}
END_TEST

/* --- negative controls -------------------------------------------------------------------------------------------- */

typedef enum {
    SOUND,
    BEFORE,
    AFTER,
    INPUT,
    MEMORY,
    PLACE,
    NAN_TAKEN,
    LAST_TAKEN,
    EARLY,
    ZERO,
    INDEX,
    ENUMERATOR,
    OVERFLOW,
    PART,
    LOST,
    ANOTHER,
    DEAF,
    FAULTS
} fault;

/* y_i = 2 x_(index_i), in one of these ways. */
static smoe_status gather(smoe_activation phi, fault how, size_t N, size_t K, const size_t *index, const double *x,
                          double *y)
{
    if (how != ENUMERATOR && phi != SMOE_RELU) return SMOE_EINVAL;
    if (how != ZERO && (K == 0 || K > N)) return SMOE_EINVAL;
    const double old = K > 0 && how == MEMORY ? y[K - 1] : 0;
    if (how == EARLY) y[0] = 1;
    for (size_t i = 0; i < K; i++)
        if (index[i] > N || (index[i] == N && how != INDEX)) return SMOE_EDOM;
    if (how != NAN_TAKEN && !smoe_all_finite(N - (how == LAST_TAKEN), x)) return SMOE_EDOM;
    for (size_t i = 0; i < K - (how == PART); i++) y[i] = (phi == SMOE_RELU ? 2 : 3) * x[index[i] < N ? index[i] : 0];
    double p[4];
    const smoe_status status = how == LOST || how == ANOTHER ? smoe_softmax(K, y, p) : SMOE_OK;
    if (how == ANOTHER && status != SMOE_OK) return SMOE_EINVAL;
    if (how != OVERFLOW && how != PART && !smoe_all_finite(K, y) && how != DEAF) return SMOE_EOVRFLW;
    if (how == BEFORE) y[-1] = 0;
    if (how == AFTER) y[K] = 0;
    if (how == INPUT) ((double *)(uintptr_t)x)[1] = 0;
    if (how == MEMORY) y[K - 1] = old + 1;
    if (how == PLACE && (uintptr_t)y % 16 == 8) y[0] = 0;
    return SMOE_OK;
}

static smoe_status watched_gather(fault how, smoe_activation phi, size_t N, size_t K, const size_t *index,
                                  const double *x, double *y)
{
    watched f = {.name = "gather"};
    array_of array[] = {
        {"index", 1, 0, sizeof *index, 0, &index}, {"x", 1, 1, sizeof *x, 0, &x}, {"y", 0, 1, sizeof *y, 0, &y}};
    const knob_of knob[] = {
        {"phi", AN_ENUMERATOR, 0, &phi}, {"N", A_SIZE, 0, &N}, {"K", A_SIZE, 1, &K}, {NULL, A_SIZE, 0, NULL}};
    watch_start(&f, 3, array, knob);
    while (watch_more(&f)) {
        at_least(&array[0], K);
        at_least(&array[1], N);
        at_least(&array[2], K);
        watch_place(&f);
        watch_take(&f, gather(phi, how, N, K, index, x, y));
    }
    return f.status;
}

START_TEST(faults_are_seen)
{
    static const char *const expected[FAULTS] = {
        [BEFORE] = "gather, call: writes before y",
        [AFTER] = "gather, call: writes after y",
        [INPUT] = "gather, call: changes x, an input",
        [MEMORY] = "gather, call: y depends on what was in memory",
        [PLACE] = "gather, call: y depends on what was in memory",
        [NAN_TAKEN] = "gather, x: nan is taken for a number",
        [LAST_TAKEN] = "gather, x: nan is taken for a number",
        [EARLY] = "gather, x: refused, but outputs are written",
        [ZERO] = "gather, K: SMOE_EINVAL is promised: no error",
        [INDEX] = "gather, index: N is taken for an index: no error",
        [OVERFLOW] = "gather, x: y is not finite, but no overflow is told",
        [PART] = "gather, call: y is not written whole",
        [ENUMERATOR] = "gather, phi: none is accepted",
        [LOST] = "gather, smoe_softmax: its failure is lost",
        [ANOTHER] = "gather, smoe_softmax: its failure becomes: the sizes make no sense together",
        [DEAF] = "gather, smoe_all_finite: its failure is lost",
    };
    const size_t index[] = {2, 0};
    for (fault how = SOUND; how < FAULTS; how++) {
        double x[] = {1, 2, 4, 8, 16};
        double y[4] = {0, 0, 0, 0};
        bool found = how == SOUND;
        remarks = 0;
        watched_gather(how, SMOE_RELU, how == LAST_TAKEN ? 3 : 4, 2, index, x, y + 1);
        for (size_t i = 0; i < remarks; i++) found = found || (expected[how] && strstr(remark[i], expected[how]));
        ck_assert_msg(found, "fault %d is not seen as \"%s\"; %zu remarks, the first: %s", how, expected[how], remarks,
                      remark[0]);
        if (how == SOUND) {
            for (size_t i = 0; i < remarks; i++)
                ck_assert_msg(strstr(remark[i], "not read"), "of a sound function: %s", remark[i]);
            ck_assert(y[1] == 8 && y[2] == 2); /* the call itself is made */
        }
    }
    remarks = 0;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("refusals");
    TCase *contracts = tcase_create("contracts");
    tcase_add_test(contracts, contracts_hold);
    tcase_add_test(contracts, faults_are_seen);
    tcase_add_test(contracts, a_bad_library_is_refused);
    tcase_add_test(contracts, moments_keep_to_their_arrays);
    tcase_add_test(contracts, noise_of_a_mixture);
    tcase_add_test(contracts, work_is_what_the_headers_say);
    tcase_set_timeout(contracts, 600);
    suite_add_tcase(suite, contracts);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
