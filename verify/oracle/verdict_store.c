/* See verdict_store.h. */
#include "verdict_store.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT = 1, MOST_SHARDS = 100000, MOST_TENSORS = 4096, MOST_SENTENCES = 100000 };
#define MOST_CASES ((size_t)1 << 24)

size_t verdict_store_share(size_t total, size_t shard, size_t shards)
{
    return total < shard ? 0 : (total - shard) / shards + 1;
}

/* --- writing ----------------------------------------------------------------------------------------------------- */

static json_t *real(double x)
{
    if (isnan(x)) return json_string("nan");
    if (isinf(x)) return json_string(x > 0 ? "inf" : "-inf");
    return json_real(x);
}

static json_t *size(size_t n) { return json_integer((json_int_t)n); }

static json_t *text(const char *s) { return s ? json_string(s) : json_null(); }

/* The list with one more item; NULL if one of the two is NULL, or there is no memory.  json_pack() passes a NULL on. */
static json_t *with(json_t *list, json_t *item)
{
    if (json_array_append_new(list, item) == 0) return list;
    json_decref(list);
    return NULL;
}

static json_t *sizes(size_t n, const size_t *x)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) list = with(list, size(x[i]));
    return list;
}

static json_t *heat_json(const verdict_tensor *t)
{
    if (!t->heat) return json_null();
    const size_t n = t->heat_rows * t->heat_cols;
    char *levels = malloc(n + 1);
    if (!levels) return NULL;
    for (size_t i = 0; i < n; i++) levels[i] = (char)('0' + t->heat[i]);
    levels[n] = '\0';
    json_t *j = json_string(levels);
    free(levels);
    return j;
}

static json_t *tensor_json(const verdict_tensor *t)
{
    return json_pack(
        "{s:s, s:i, s:I, s:b, s:b, s:b, s:b, s:b, s:o, s:I, s:I, s:o, s:I, s:o, s:o, s:o, s:o, s:I, s:o, s:b, s:o, s:o}",
        "name", t->name, "kind", (int)t->kind, "slot", (json_int_t)t->slot, "gradient", t->gradient, "present",
        t->present, "owed", t->owed, "judged", t->judged, "pass", t->pass, "shape", sizes(t->rank, t->dim), "outside",
        (json_int_t)t->outside, "vacuous", (json_int_t)t->vacuous, "ratio", real(t->ratio), "at", (json_int_t)t->at,
        "got", real(t->got), "golden", real(t->golden), "bound", real(t->bound), "fault", text(t->fault), "factors",
        (json_int_t)t->factors, "factor", real(t->factor), "zeros", t->zeros, "bin", sizes(VERDICT_BINS, t->bin), "heat",
        heat_json(t));
}

static json_t *match_json(const verdict_match *m)
{
    return json_pack("{s:s, s:s, s:o, s:b}", "op", m->variant->op, "class", m->variant->name, "ratio", real(m->ratio),
                     "tells", m->tells);
}

static json_t *case_json(const verdict_case *v)
{
    json_t *tensors = json_array(), *details = json_array(), *matches = json_array();
    for (size_t i = 0; i < v->tensors; i++) tensors = with(tensors, tensor_json(&v->t[i]));
    for (size_t i = 0; i < v->details; i++) details = with(details, json_string(v->detail[i]));
    for (size_t i = 0; i < v->matches; i++) matches = with(matches, match_json(&v->match[i]));
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:o, s:o, s:b, s:b, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}",
                     "name", v->name, "op", v->op->id, "sizes", v->sizes, "parameters", v->parameters, "pass", v->pass,
                     "fault", text(v->fault), "output", text(v->output), "large", v->large, "ranked", v->ranked,
                     "replayed", v->replayed, "narrow", v->narrow, "tokens", (json_int_t)v->tokens, "ambiguous", (json_int_t)v->ambiguous,
                     "differ", (json_int_t)v->differ, "inadmissible", (json_int_t)v->inadmissible, "ties",
                     (json_int_t)v->ties, "vacuous", (json_int_t)v->vacuous, "worst", (json_int_t)v->worst, "tensors",
                     tensors, "details", details, "matches", matches);
}

int verdict_store_write(const char *path, const verdict_store *s, const char *version, char *err, size_t errlen)
{
    json_t *cases = json_array(), *exposed = json_array();
    for (size_t i = 0; i < s->cases; i++) cases = with(cases, case_json(&s->c[i]));
    for (size_t i = 0; twin_variants[i].op; i++)
        if (s->exposed[i]) exposed = with(exposed, json_pack("[s, s]", twin_variants[i].op, twin_variants[i].name));
    json_t *root = json_pack("{s:s, s:i, s:I, s:I, s:s, s:s, s:s, s:I, s:s, s:b, s:b, s:I, s:o, s:o}", "smoeref", version,
                             "verdicts", FORMAT, "shard", (json_int_t)s->shard, "shards", (json_int_t)s->shards,
                             "manifest", s->manifest, "asked", s->asked, "suite", s->suite, "seed", (json_int_t)s->seed,
                             "precision", s->precision, "forward", s->forward, "power", s->power, "total",
                             (json_int_t)s->total, "exposed", exposed, "cases", cases);
    char *json = root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(root);
    if (!json) return tensor_fail(err, errlen, "%s: out of memory", path);
    const file_part part[2] = {{json, strlen(json)}, {"\n", 1}};
    const int status = whole_file_write(path, 2, part, err, errlen);
    free(json);
    return status;
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

/* Where a reader is, for its errors. */
typedef struct {
    const char *label;
    char where[320];
    char *err;
    size_t errlen;
} reader;

static int fail(const reader *r, const char *what)
{
    char q[TENSOR_QUOTED * 2];
    snprintf(q, sizeof q, "%s", what);
    for (char *c = q; *c; c++)
        if (*c < ' ' || *c >= 0x7f) *c = '?'; /* jansson cites the file's keys */
    return tensor_fail(r->err, r->errlen, "%s: %s%s", r->label, r->where, q);
}

static bool read_real(const json_t *j, double *x)
{
    if (json_is_number(j)) {
        *x = json_number_value(j);
        return isfinite(*x);
    }
    const char *s = json_string_value(j);
    if (!s) return false;
    *x = strcmp(s, "nan") == 0 ? (double)NAN : strcmp(s, "inf") == 0 ? INFINITY : -INFINITY;
    return strcmp(s, "nan") == 0 || strcmp(s, "inf") == 0 || strcmp(s, "-inf") == 0;
}

/* A copy of a text (of null: NULL) that is clean. */
static int read_text(const reader *r, const json_t *j, bool may_be_null, char **to)
{
    const char *s = json_string_value(j);
    *to = NULL;
    if (!s) return may_be_null && json_is_null(j) ? 0 : fail(r, "expected a text");
    *to = strdup(s);
    if (!*to) return fail(r, "out of memory");
    verdict_clean(*to);
    if (strcmp(*to, s) == 0) return 0;
    return fail(r, "a text with a character that is not printable");
}

static bool in_range(json_int_t x, size_t most) { return x >= 0 && (uintmax_t)x <= most; }

static int read_heat(const reader *r, const json_t *j, verdict_tensor *t)
{
    const size_t rows = t->rank > 1 ? t->dim[0] : 1, cols = rows ? t->count / rows : 0;
    const char *levels = json_string_value(j);
    if (json_is_null(j)) return 0;
    t->heat_rows = rows < VERDICT_HEAT ? rows : VERDICT_HEAT;
    t->heat_cols = cols < VERDICT_HEAT ? cols : VERDICT_HEAT;
    const size_t n = t->heat_rows * t->heat_cols;
    if (!levels || t->count == 0 || strlen(levels) != n || strspn(levels, "012345") != n)
        return fail(r, "heat: expected a level from 0 to 5 for each cell");
    t->heat = malloc(n);
    if (!t->heat) return fail(r, "out of memory");
    for (size_t i = 0; i < n; i++) t->heat[i] = (unsigned char)(levels[i] - '0');
    return 0;
}

static int read_shape(const reader *r, const json_t *j, verdict_tensor *t)
{
    if (!json_is_array(j) || json_array_size(j) > OP_RANK) return fail(r, "shape: expected at most 4 sizes");
    t->rank = json_array_size(j);
    for (size_t i = 0; i < t->rank; i++) {
        const json_t *d = json_array_get(j, i);
        if (!json_is_integer(d) || !in_range(json_integer_value(d), SIZE_MAX / 2))
            return fail(r, "shape: expected sizes");
        t->dim[i] = (size_t)json_integer_value(d);
    }
    return tensor_count(t->rank, t->dim, &t->count) == 0 ? 0 : fail(r, "shape: too many elements");
}

static int read_bins(const reader *r, const json_t *j, verdict_tensor *t)
{
    if (!json_is_array(j) || json_array_size(j) != VERDICT_BINS) return fail(r, "bin: expected 9 numbers");
    for (size_t i = 0; i < VERDICT_BINS; i++) {
        const json_t *b = json_array_get(j, i);
        if (!json_is_integer(b) || !in_range(json_integer_value(b), t->count)) return fail(r, "bin: expected 9 numbers");
        t->bin[i] = (size_t)json_integer_value(b);
    }
    return 0;
}

/* Is the slot that of an output or a gradient of this name and kind, or that of an unknown tensor? */
static bool slot_fits(const op_record *op, const verdict_tensor *t)
{
    const op_tensor *list = t->gradient ? op->in : op->out;
    if (t->slot == OP_TENSORS) return !t->gradient && !t->judged && t->fault && t->kind == OP_INPUT;
    for (size_t i = 0; list[i].name; i++) {
        if (i != t->slot) continue;
        if (t->gradient)
            return (list[i].flags & OP_DIFF) && t->kind == OP_BOUNDED && strncmp(t->name, "d_", 2) == 0 &&
                   strcmp(t->name + 2, list[i].name) == 0;
        return t->kind == list[i].kind && strcmp(t->name, list[i].name) == 0;
    }
    return false;
}

static int read_tensor(const reader *r, json_t *j, const op_record *op, verdict_tensor *t)
{
    json_error_t problem;
    json_t *name, *shape, *ratio, *got, *golden, *bound, *fault, *factor, *bin, *heat;
    json_int_t slot, outside, vacuous, at, factors;
    int kind, gradient, present, owed, judged, pass, zeros;
    if (json_unpack_ex(
            j, &problem, JSON_STRICT,
            "{s:o, s:i, s:I, s:b, s:b, s:b, s:b, s:b, s:o, s:I, s:I, s:o, s:I, s:o, s:o, s:o, s:o, s:I, s:o, s:b, s:o, s:o}",
            "name", &name, "kind", &kind, "slot", &slot, "gradient", &gradient, "present", &present, "owed", &owed,
            "judged", &judged, "pass", &pass, "shape", &shape, "outside", &outside, "vacuous", &vacuous, "ratio", &ratio,
            "at", &at, "got", &got, "golden", &golden, "bound", &bound, "fault", &fault, "factors", &factors, "factor",
            &factor, "zeros", &zeros, "bin", &bin, "heat", &heat) != 0)
        return fail(r, problem.text);
    if (read_text(r, name, false, &t->name) != 0 || read_text(r, fault, true, &t->fault) != 0 ||
        read_shape(r, shape, t) != 0)
        return -1;
    t->gradient = gradient;
    t->present = present;
    t->owed = owed;
    t->judged = judged;
    t->pass = pass;
    t->zeros = zeros;
    if (kind < OP_INPUT || kind > OP_STAGE || !in_range(slot, OP_TENSORS) || !in_range(outside, t->count) ||
        !in_range(vacuous, t->count) || !in_range(at, t->count) || !in_range(factors, (1U << VERDICT_FACTORS) - 1))
        return fail(r, "a number out of range");
    t->kind = (op_kind)kind;
    t->slot = (size_t)slot;
    t->outside = (size_t)outside;
    t->vacuous = (size_t)vacuous;
    t->at = (size_t)at;
    t->factors = (unsigned)factors;
    if (!read_real(ratio, &t->ratio) || !read_real(got, &t->got) || !read_real(golden, &t->golden) ||
        !read_real(bound, &t->bound) || !read_real(factor, &t->factor) || t->ratio < 0)
        return fail(r, "expected numbers, \"nan\", \"inf\" or \"-inf\"");
    if (!slot_fits(op, t)) return fail(r, "is no tensor of the operation");
    if (t->judged && (t->fault || !t->present)) return fail(r, "judged, but missing or at fault");
    if (t->pass != (!t->fault && t->outside == 0)) return fail(r, "\"pass\" contradicts what it is made of");
    return read_bins(r, bin, t) != 0 || read_heat(r, heat, t) != 0 ? -1 : 0;
}

static int read_match(const reader *r, json_t *j, verdict_match *m)
{
    json_error_t problem;
    const char *op, *name;
    json_t *ratio;
    int tells;
    if (json_unpack_ex(j, &problem, JSON_STRICT, "{s:s, s:s, s:o, s:b}", "op", &op, "class", &name, "ratio", &ratio,
                       "tells", &tells) != 0)
        return fail(r, problem.text);
    m->variant = verdict_variant(op, name);
    m->tells = tells;
    if (!m->variant) return fail(r, "matches: no known wrong variant");
    if (!read_real(ratio, &m->ratio) || !(m->ratio >= 0 && m->ratio <= 1)) return fail(r, "matches: a ratio up to 1");
    return 0;
}

/* Zeroed room for n elements; never NULL for n = 0. */
static void *room(size_t n, size_t each) { return calloc(n + 1, each); }

static int read_lists(reader *r, json_t *tensors, json_t *details, json_t *matches, verdict_case *v)
{
    if (!json_is_array(tensors) || json_array_size(tensors) > MOST_TENSORS || !json_is_array(details) ||
        json_array_size(details) > MOST_SENTENCES || !json_is_array(matches) ||
        json_array_size(matches) > TWIN_VARIANTS)
        return fail(r, "expected arrays of tensors, details and matches");
    v->t = room(json_array_size(tensors), sizeof *v->t);
    v->detail = room(json_array_size(details), sizeof *v->detail);
    v->match = room(json_array_size(matches), sizeof *v->match);
    if (!v->t || !v->detail || !v->match) return fail(r, "out of memory");
    const size_t end = strlen(r->where);
    for (size_t i = 0; i < json_array_size(tensors); i++) {
        snprintf(r->where + end, sizeof r->where - end, "tensor %zu: ", i + 1);
        v->tensors++;
        if (read_tensor(r, json_array_get(tensors, i), v->op, &v->t[i]) != 0) return -1;
    }
    r->where[end] = '\0';
    for (size_t i = 0; i < json_array_size(details); i++) {
        if (read_text(r, json_array_get(details, i), false, &v->detail[i]) != 0) {
            free(v->detail[i]);
            return -1;
        }
        v->details++;
    }
    for (size_t i = 0; i < json_array_size(matches); i++, v->matches++)
        if (read_match(r, json_array_get(matches, i), &v->match[i]) != 0) return -1;
    return 0;
}

static int check_sums(const reader *r, const verdict_case *v)
{
    size_t vacuous = 0;
    bool pass = !v->fault && v->inadmissible == 0;
    for (size_t i = 0; i < v->tensors; i++) {
        pass &= v->t[i].pass;
        vacuous += v->t[i].vacuous;
    }
    if (pass != v->pass) return fail(r, "\"pass\" contradicts what it is made of");
    if (vacuous != v->vacuous) return fail(r, "\"vacuous\" is not the sum of the tensors'");
    if (v->worst > v->tensors) return fail(r, "\"worst\" is no tensor");
    return 0;
}

static int read_case(reader *r, json_t *j, verdict_case *v)
{
    json_error_t problem;
    const char *op;
    json_t *name, *sizes_of, *parameters, *fault, *output, *tensors, *details, *matches;
    json_int_t n[7];
    int pass, large, ranked, replayed, narrow;
    if (json_unpack_ex(j, &problem, JSON_STRICT,
                       "{s:o, s:s, s:o, s:o, s:b, s:o, s:o, s:b, s:b, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}",
                       "name", &name, "op", &op, "sizes", &sizes_of, "parameters", &parameters, "pass", &pass, "fault",
                       &fault, "output", &output, "large", &large, "ranked", &ranked, "replayed", &replayed, "narrow", &narrow,
                       "tokens", &n[0], "ambiguous", &n[1], "differ", &n[2], "inadmissible", &n[3], "ties", &n[4], "vacuous",
                       &n[5], "worst", &n[6], "tensors", &tensors, "details", &details, "matches", &matches) != 0)
        return fail(r, problem.text);
    v->op = op_find(op);
    if (!v->op) return fail(r, "there is no such operation");
    if (read_text(r, name, false, &v->name) != 0 || read_text(r, sizes_of, false, &v->sizes) != 0 ||
        read_text(r, parameters, false, &v->parameters) != 0 || read_text(r, fault, true, &v->fault) != 0 ||
        read_text(r, output, true, &v->output) != 0)
        return -1;
    for (int i = 0; i < 7; i++)
        if (!in_range(n[i], SIZE_MAX / 2)) return fail(r, "a number out of range");
    v->pass = pass;
    v->large = large;
    v->ranked = ranked;
    v->replayed = replayed;
    v->narrow = narrow;
    v->tokens = (size_t)n[0];
    v->ambiguous = (size_t)n[1];
    v->differ = (size_t)n[2];
    v->inadmissible = (size_t)n[3];
    v->ties = (size_t)n[4];
    v->vacuous = (size_t)n[5];
    v->worst = (size_t)n[6];
    return read_lists(r, tensors, details, matches, v) != 0 ? -1 : check_sums(r, v);
}

static bool is_digest(const char *s) { return strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64; }

static int read_exposed(const reader *r, json_t *list, verdict_store *s)
{
    if (!json_is_array(list) || (!s->power && json_array_size(list) > 0)) return fail(r, "exposed: expected an array");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const char *op = json_string_value(json_array_get(one, 0)), *name = json_string_value(json_array_get(one, 1));
        size_t w = 0;
        while (op && name && twin_variants[w].op &&
               (strcmp(twin_variants[w].op, op) != 0 || strcmp(twin_variants[w].name, name) != 0))
            w++;
        if (!op || !name || json_array_size(one) != 2 || !twin_variants[w].op || s->exposed[w])
            return fail(r, "exposed: expected known wrong variants, each once");
        s->exposed[w] = true;
    }
    return 0;
}

static int read_root(reader *r, json_t *root, const char *version, verdict_store *s)
{
    json_error_t problem;
    const char *by, *manifest, *asked;
    json_t *suite, *precision, *cases, *exposed;
    json_int_t shard, shards, seed, total;
    int format, forward, power;
    if (json_unpack_ex(root, &problem, JSON_STRICT, "{s:s, s:i, s:I, s:I, s:s, s:s, s:o, s:I, s:o, s:b, s:b, s:I, s:o, s:o}",
                       "smoeref", &by, "verdicts", &format, "shard", &shard, "shards", &shards, "manifest", &manifest,
                       "asked", &asked, "suite", &suite, "seed", &seed, "precision", &precision, "forward", &forward,
                       "power", &power, "total", &total, "exposed", &exposed, "cases", &cases) != 0)
        return fail(r, problem.text);
    if (strcmp(by, version) != 0 || format != FORMAT) return fail(r, "was written by another version of smoeref");
    if (shards < 1 || shards > MOST_SHARDS || shard < 1 || shard > shards) return fail(r, "no shard I of N");
    if (!is_digest(manifest) || !is_digest(asked)) return fail(r, "manifest, asked: expected SHA-256 digests");
    if (!in_range(seed, (size_t)1 << 53) || !in_range(total, MOST_CASES)) return fail(r, "a number out of range");
    s->shard = (size_t)shard;
    s->shards = (size_t)shards;
    s->seed = (uint64_t)seed;
    s->total = (size_t)total;
    s->forward = forward;
    s->power = power;
    memcpy(s->manifest, manifest, 65);
    memcpy(s->asked, asked, 65);
    if (read_text(r, suite, false, &s->suite) != 0 || read_text(r, precision, false, &s->precision) != 0 ||
        read_exposed(r, exposed, s) != 0)
        return -1;
    if (!twin_profile_find(s->precision)) return fail(r, "there is no such precision");
    const size_t n = verdict_store_share(s->total, s->shard, s->shards);
    if (!json_is_array(cases) || json_array_size(cases) != n) return fail(r, "not as many cases as the shard has");
    s->c = room(n, sizeof *s->c);
    if (!s->c) return fail(r, "out of memory");
    for (size_t i = 0; i < n; i++) {
        snprintf(r->where, sizeof r->where, "case %zu: ", i + 1);
        s->cases++;
        if (read_case(r, json_array_get(cases, i), &s->c[i]) != 0) return -1;
    }
    return 0;
}

int verdict_store_parse(const char *label, const void *bytes, size_t n, const char *version, verdict_store *s, char *err,
                        size_t errlen)
{
    char q[TENSOR_QUOTED];
    json_error_t problem;
    reader r = {.label = label, .err = err, .errlen = errlen};
    *s = (verdict_store){0};
    json_t *root = json_loadb(bytes, n, JSON_REJECT_DUPLICATES, &problem);
    if (!root)
        return tensor_fail(err, errlen, "%s: line %d: not valid JSON: %s", label, problem.line,
                           tensor_quote(q, problem.text));
    const int status = read_root(&r, root, version, s);
    json_decref(root);
    if (status != 0) verdict_store_clear(s);
    return status;
}

int verdict_store_read(const char *path, verdict_store *s, const char *version, char *err, size_t errlen)
{
    unsigned char *bytes = NULL;
    size_t n = 0;
    *s = (verdict_store){0};
    if (whole_file_read(path, &bytes, &n, err, errlen) != 0) return -1;
    const int status = verdict_store_parse(path, bytes, n, version, s, err, errlen);
    free(bytes);
    return status;
}

void verdict_store_clear(verdict_store *s)
{
    for (size_t i = 0; i < s->cases; i++) verdict_case_clear(&s->c[i]);
    free(s->c);
    free(s->suite);
    free(s->precision);
    *s = (verdict_store){0};
}

/* --- joining ----------------------------------------------------------------------------------------------------- */

static bool same_run(const verdict_store *a, const verdict_store *b)
{
    return a->shards == b->shards && a->total == b->total && strcmp(a->manifest, b->manifest) == 0 &&
           strcmp(a->asked, b->asked) == 0 && strcmp(a->suite, b->suite) == 0 && a->seed == b->seed &&
           strcmp(a->precision, b->precision) == 0 && a->forward == b->forward && a->power == b->power;
}

int verdict_store_join(verdict_store *s, size_t n, const char *const *path, verdict_case **c, char *err, size_t errlen)
{
    for (size_t i = 0; i < n; i++) {
        if (!same_run(&s[0], &s[i]))
            return tensor_fail(err, errlen,
                               "%.200s and %.200s are of different runs: other golden cases, options or number of shards",
                               path[0], path[i]);
        for (size_t j = 0; j < i; j++)
            if (s[j].shard == s[i].shard)
                return tensor_fail(err, errlen, "%.200s and %.200s are both shard %zu/%zu", path[j], path[i], s[i].shard,
                                   s[i].shards);
    }
    for (size_t k = 1; n < s[0].shards; k++) { /* up to one that is missing */
        bool there = false;
        for (size_t i = 0; i < n; i++) there |= s[i].shard == k;
        if (!there)
            return tensor_fail(err, errlen, "%zu of %zu shards are missing, the first of them %zu/%zu", s[0].shards - n,
                               s[0].shards, k, s[0].shards);
    }
    *c = room(s[0].total, sizeof **c);
    if (!*c) return tensor_fail(err, errlen, "out of memory for %zu verdicts", s[0].total);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < s[i].cases; k++) (*c)[s[i].shard - 1 + k * s[i].shards] = s[i].c[k];
        s[i].cases = 0;
    }
    return 0;
}
