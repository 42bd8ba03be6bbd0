/* smoeref diff: a folder of answers against golden cases; and the judging that `check` shares (judge.h). */
#include <dirent.h>
#include <errno.h>
#include <nettle/sha2.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "digest.h"
#include "judge.h"
#include "judge_large.h"
#include "prompt.h"
#include "verdict_store.h"

enum { PATH = 4096, LINE = TENSOR_ERROR };

/* --- options ------------------------------------------------------------------------------------------------- */

static int set_precision(judge_options *o, const cli_command *command, const char *value)
{
    o->precision = twin_profile_find(value);
    if (o->precision) return 0;
    char known[128] = "";
    for (size_t i = 0, at = 0; twin_profiles[i].name && at < sizeof known; i++)
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : "", twin_profiles[i].name);
    return cli_usage(command, "--precision is '%.40s', expected one of %s", value, known);
}

judge_options judge_defaults(const cli_command *command)
{
    return (judge_options){.command = command, .precision = twin_profile_find("f64"), .in_memory = 32 << 20};
}

int judge_set_memory(judge_options *o, const cli_command *command, const char *value)
{
    char *end;
    const unsigned long long mib = strtoull(value, &end, 10);
    if (*value < '0' || *value > '9' || *end || mib > SIZE_MAX >> 20)
        return cli_usage(command, "--in-memory is '%.40s', expected a number of MiB", value);
    o->in_memory = (size_t)mib << 20;
    return 0;
}

static int add_report(judge_options *o, const cli_command *command, const char *path)
{
    report_format f;
    if (!report_format_of(path, &f))
        return cli_usage(command, "--report is '%.200s', expected a name that ends in .txt, .html, .tap, .json or .xml",
                         path);
    if (o->reports == sizeof o->report / sizeof *o->report) return cli_usage(command, "--report: too many files");
    o->report[o->reports++] = path;
    return 0;
}

int judge_option(judge_options *o, const cli_command *command, int option, const char *value)
{
    char err[LINE];
    switch (option) {
    case JUDGE_PRECISION:
        return set_precision(o, command, value);
    case JUDGE_ARITHMETIC:
        return roundoff_arithmetic(&o->said, value, err, sizeof err) ? cli_usage(command, "--arithmetic: %s", err) : 0;
    case JUDGE_ELEMENTARY:
        return roundoff_elementary(&o->said, value, err, sizeof err) ? cli_usage(command, "--elementary: %s", err) : 0;
    case JUDGE_TENSOR:
        return roundoff_tensor(&o->said, value, err, sizeof err) ? cli_usage(command, "--tensor: %s", err) : 0;
    case JUDGE_REPORT:
        return add_report(o, command, value);
    case JUDGE_WHERE:
        return cli_add_where(command, &o->where, value);
    case JUDGE_JOBS:
        return cli_parse_jobs(command, &o->jobs, value);
    case JUDGE_DEFAULTS:
        o->where.defaults = true;
        return 0;
    case JUDGE_FORWARD:
        o->forward = true;
        return 0;
    case JUDGE_POWER:
        o->power = true;
        return 0;
    case JUDGE_QUIET:
        o->quiet = true;
        return 0;
    default:
        return STATUS_USAGE;
    }
}

int judge_settle(judge_options *o, const manifest *m)
{
    char err[LINE];
    const op_record *one[sizeof o->ops.op / sizeof *o->ops.op + 1] = {NULL};
    memcpy(one, o->ops.op, o->ops.count * sizeof *one);
    const char *stranger = roundoff_stranger(&o->said, o->ops.count ? one : op_registry);
    if (stranger)
        return cli_usage(o->command, "--tensor: none of these operations has a tensor '%s' that is rounded", stranger);
    o->all = o->said;
    if (m && m->roundoff) {
        stranger = roundoff_stranger(m->roundoff, op_registry);
        if (stranger)
            return cli_input("manifest.json: \"roundoff\": no operation has a tensor '%s' that is rounded", stranger);
        roundoff_merge(&o->all, m->roundoff);
    }
    if (roundoff_profile(&o->all, twin_profile_find(o->precision->name), &o->settled, err, sizeof err) != 0)
        return cli_usage(o->command, "%s", err);
    o->precision = &o->settled;
    return 0;
}

name_list judge_stored(const judge_options *o)
{
    return o->precision->apart ? (name_list){.count = 0}
                               : (name_list){.name = {twin_profile_find(o->precision->name)->name}, .count = 1};
}

int judge_prepare(const judge_options *o)
{
    char err[LINE];
    for (size_t i = 0; i < o->reports; i++)
        if (cli_writable(o->report[i], err, sizeof err) != 0) return cli_input("--report %s", err);
    return 0;
}

bool judge_wants(const judge_options *o, const manifest_case *c)
{
    bool named = o->ops.count == 0;
    for (size_t i = 0; i < o->ops.count && !named; i++) named = strcmp(o->ops.op[i]->id, c->op) == 0;
    const op_record *op = named ? op_find(c->op) : NULL;
    char flags[2048] = "";
    for (size_t i = 0, at = 0; i < c->flags && at < sizeof flags; i++)
        at += (size_t)snprintf(flags + at, sizeof flags - at, "%s%s", i ? "," : "", c->flag[i]);
    return named && (!op || cli_where(&o->where, op, c->name, c->parameters,
                                      flags)); /* what is unknown is told by who reads it */
}

int judge_wants_any(const judge_options *o, const char *dir, const manifest *m)
{
    bool any = false;
    for (size_t k = 0; k < o->ops.count; k++) {
        bool its = !o->ops.by_name[k];
        for (size_t i = 0; i < m->cases && !its; i++)
            its = strcmp(m->c[i].op, o->ops.op[k]->id) == 0 && judge_wants(o, &m->c[i]);
        if (its) continue;
        if (*cli_where_leaves(&o->where))
            return cli_usage(o->command, "%s/manifest.json has no case of %s%s", dir, o->ops.op[k]->id,
                             cli_where_leaves(&o->where));
        return cli_input("%s/manifest.json: no case of %s", dir, o->ops.op[k]->id);
    }
    for (size_t i = 0; i < m->cases && !any; i++) any = judge_wants(o, &m->c[i]);
    if (any) return 0;
    if (*cli_where_leaves(&o->where))
        return cli_usage(o->command, "%s/manifest.json has no case of these operations%s", dir,
                         cli_where_leaves(&o->where));
    return cli_input("%s/manifest.json: no case of the operations that were asked for", dir);
}

/* --- one case's files ---------------------------------------------------------------------------------------- */

static int check_sha256(const char *path, const char *want, char *err, size_t errlen)
{
    char got[65];
    if (tensor_file_sha256(path, got, err, errlen) != 0) return -1;
    if (strcmp(got, want) == 0) return 0;
    snprintf(err, errlen, "%s: has changed since the manifest was written (SHA-256 is %.12s..., expected %.12s...)",
             path, got, want);
    return -1;
}

int judge_check_parameters(const manifest_case *mc, const op_case *c, const char *path, char *err, size_t errlen)
{
    char *mine = op_parameters_json(c), *a = NULL, *b = NULL;
    int status = -1;
    snprintf(err, errlen, "%s: out of memory", path);
    if (mine && manifest_parameters_to_set(path, mine, &a, err, errlen) == 0 &&
        manifest_parameters_to_set(path, mc->parameters, &b, err, errlen) == 0) {
        status = strcmp(a, b) == 0 ? 0 : -1;
        if (status != 0) snprintf(err, errlen, "%s: parameters are %.150s, the manifest says %.150s", path, a, b);
    }
    free(mine);
    free(a);
    free(b);
    return status;
}

/* The case and what is golden about it.  0, or -1 with a line in err. */
static int load_golden(const judge_options *o, const char *dir, const manifest_case *mc, op_case **c, verdict_golden *g,
                       char *err, size_t errlen)
{
    char path[PATH];
    tensor_file f;
    const op_record *op = op_find(mc->op);
    snprintf(path, sizeof path, "%s/%s.prompt.safetensors", dir, mc->name);
    if (!op) {
        snprintf(err, errlen, "%s: case %s: there is no operation '%.80s'", dir, mc->name, mc->op);
        return -1;
    }
    if (!o->verified && check_sha256(path, mc->prompt_sha256, err, errlen) != 0) return -1;
    *c = op_case_from_prompt(path, op, NULL, NULL, NULL, err, errlen);
    if (!*c) return -1;
    int status = judge_check_parameters(mc, *c, path, err, errlen);
    snprintf(path, sizeof path, "%s/%s.expected.safetensors", dir, mc->name);
    if (status == 0 && !o->verified) status = check_sha256(path, mc->expected_sha256, err, errlen);
    if (status == 0) status = tensor_file_read(path, &f, err, errlen);
    if (status == 0) {
        status = verdict_golden_read(*c, &f, path, o->precision, g, err, errlen);
        tensor_file_clear(&f);
    }
    g->forward = o->forward;
    if (status == 0) return 0;
    op_case_free(*c);
    *c = NULL;
    return -1;
}

/* A folder of .npy files, one a tensor, named after the tensors. */
static int read_npy_folder(const char *path, tensor_file *f, char *err, size_t errlen)
{
    DIR *d = opendir(path);
    int status = d ? 0 : -1;
    memset(f, 0, sizeof *f);
    if (!d) snprintf(err, errlen, "%.300s: %s", path, strerror(errno));
    for (const struct dirent *e; d && status == 0 && (e = readdir(d));) {
        char file[PATH + 260];
        const size_t n = strlen(e->d_name);
        tensor_file one;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        if (n < 5 || strcmp(e->d_name + n - 4, ".npy") != 0) {
            snprintf(err, errlen, "%.300s: expected TENSOR.npy files and nothing else", file);
            status = -1;
            break;
        }
        status = tensor_file_read(file, &one, err, errlen);
        if (status != 0) break;
        const tensor *t = one.t;
        if (one.tensors != 1 || tensor_file_add(f, t->name, t->dtype, t->rank, t->dim, t->data) != 0) {
            snprintf(err, errlen, "%.300s: expected one tensor", file);
            status = -1;
        }
        tensor_file_clear(&one);
    }
    if (d) closedir(d);
    if (status != 0) tensor_file_clear(f);
    return status;
}

/* An .npy has no names: it can answer an operation that owes one tensor. */
char *judge_single_name(const op_record *op, size_t tensors, const char *path, char *err, size_t errlen)
{
    size_t owed = 0;
    char name[80] = "";
    for (const op_tensor *t = op->out; t->name; t++)
        if (t->kind != OP_STAGE && !(t->flags & OP_OPTIONAL) && owed++ == 0) snprintf(name, sizeof name, "%s", t->name);
    for (const op_tensor *t = op->in; t->name; t++)
        if ((t->flags & OP_DIFF) && owed++ == 0) snprintf(name, sizeof name, "d_%s", t->name);
    if (owed == 1 && tensors == 1) return strdup(name);
    snprintf(err, errlen, "%.300s: one array cannot answer %s, which owes %zu tensors", path, op->id, owed);
    return NULL;
}

static int name_single(const op_record *op, tensor_file *f, const char *path, char *err, size_t errlen)
{
    char *name = judge_single_name(op, f->tensors, path, err, errlen);
    if (!name) return -1;
    free(f->t[0].name);
    f->t[0].name = name;
    return 0;
}

int judge_find_answer(const char *answers, const manifest_case *mc, char *found, size_t room, int *which, char *err,
                      size_t errlen)
{
    static const char *const ending[] = {".safetensors", ".npz", ".npy", ".safetensors.index.json", ""};
    char path[PATH];
    struct stat s;
    *which = -1;
    for (int i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "%s/%s%s", answers, mc->name, ending[i]);
        if (stat(path, &s) != 0) continue;
        if (*which >= 0) {
            snprintf(err, errlen, "two answers: %s%s and %s%s", mc->name, ending[*which], mc->name, ending[i]);
            return -1;
        }
        if (i < 4 ? !S_ISREG(s.st_mode) : !S_ISDIR(s.st_mode)) {
            snprintf(err, errlen, "%.300s: expected a %s", path, i < 4 ? "file" : "folder of .npy files");
            return -1;
        }
        *which = i;
        snprintf(found, room, "%s", path);
    }
    if (*which >= 0) return 0;
    snprintf(err, errlen, "there is no answer: expected %.200s/%s.safetensors (or .npz)", answers, mc->name);
    return -1;
}

/* 0: read; -1: there is no usable answer, and err is a sentence why. */
int judge_read_answer(const char *answers, const manifest_case *mc, tensor_file *f, char *err, size_t errlen)
{
    char path[PATH], found[PATH] = "";
    struct stat s;
    int which;
    if (judge_find_answer(answers, mc, found, sizeof found, &which, err, errlen) != 0) return -1;
    if (which == 4) {
        if ((size_t)snprintf(path, sizeof path, "%s/model.safetensors.index.json", found) >= sizeof path) {
            snprintf(err, errlen, "%.300s: the name is too long", found);
            return -1;
        }
        return stat(path, &s) == 0 ? tensor_file_read(path, f, err, errlen) : read_npy_folder(found, f, err, errlen);
    }
    if (tensor_file_read(found, f, err, errlen) != 0) return -1;
    if (which != 2 || name_single(op_find(mc->op), f, found, err, errlen) == 0) return 0;
    tensor_file_clear(f);
    return -1;
}

/* --- judging in parallel ------------------------------------------------------------------------------------- */

typedef struct {
    const judge_options *o;
    const char *dir, *answers, *suffix;
    const manifest *m;
    const judge_run *runs;
    size_t n; /* cases to judge */
    const size_t *which; /* of the manifest */
    verdict_case *v; /* where their verdicts go */
    bool *exposed;
    large_case *large; /* the one that is being judged in pieces */
    bool *is_large; /* by case to judge: not in memory */
    int (*work)(void *folder, size_t i, char *err, size_t errlen);
    size_t units; /* of work: cases, then operations */
    pthread_mutex_t lock;
    pthread_cond_t ended; /* no thread is left */
    size_t next, done, threads;
    size_t failed_unit; /* the first that could not be done */
    char err[LINE];
} folder;

static int judge_one(void *context, size_t i, char *err, size_t errlen)
{
    folder *j = context;
    const manifest_case *mc = &j->m->c[j->which[i]];
    const judge_run *run = j->runs ? &j->runs[j->which[i]] : NULL;
    op_case *c;
    verdict_golden g;
    tensor_file answer;
    char why[LINE] = "", name[MANIFEST_NAME + 40];
    if (j->is_large[i]) return 0; /* later, by all threads together */
    if (load_golden(j->o, j->dir, mc, &c, &g, err, errlen) != 0) return -1;
    const bool there = judge_read_answer(j->answers, mc, &answer, why, sizeof why) == 0;
    if (!there && cli_no_memory(why)) {
        snprintf(err, errlen, "%s", why);
        verdict_golden_clear(&g);
        op_case_free(c);
        return -1;
    }
    snprintf(name, sizeof name, "%s%s", mc->name, j->suffix);
    int status = verdict_judge(c, name, &g, there ? &answer : NULL, j->o->precision, &j->v[i], err, errlen);
    if (status == 0) {
        if (!there) verdict_fail(&j->v[i], why, run ? run->output : NULL);
        if (run && run->fault) verdict_fail(&j->v[i], run->fault, run->output);
    }
    if (status == 0 && j->o->power) {
        bool mine[sizeof((judge_result *)NULL)->exposed];
        pthread_mutex_lock(&j->lock);
        memcpy(mine, j->exposed, sizeof mine);
        pthread_mutex_unlock(&j->lock);
        status = verdict_power(c, &g, j->o->precision, mine, err, errlen);
        pthread_mutex_lock(&j->lock);
        for (size_t k = 0; k < sizeof mine; k++) j->exposed[k] |= mine[k];
        pthread_mutex_unlock(&j->lock);
    }
    if (there) tensor_file_clear(&answer);
    verdict_golden_clear(&g);
    op_case_free(c);
    return status;
}

/* Leaves alive what explains this case too; everything if nothing does. */
static void narrow(const verdict_case *v, bool *alive, size_t variants)
{
    bool any = false;
    for (size_t w = 0; w < variants; w++) {
        bool matches = false;
        for (size_t k = 0; k < v->matches; k++) matches |= v->match[k].variant == &twin_variants[w];
        alive[w] &= matches;
        any |= alive[w];
    }
    if (!any) memset(alive, true, variants);
}

/* A failing case as it was judged. */
typedef struct {
    op_case *c;
    verdict_golden g;
    tensor_file answer;
} failing;

static void close_case(failing *o)
{
    tensor_file_clear(&o->answer);
    verdict_golden_clear(&o->g);
    op_case_free(o->c);
}

/* 0; 1: there is no answer to be read; -1 and a line in err. */
static int open_case(folder *j, size_t i, failing *o, char *err, size_t errlen)
{
    const manifest_case *mc = &j->m->c[j->which[i]];
    verdict_case again;
    char why[LINE];
    int status;
    if (load_golden(j->o, j->dir, mc, &o->c, &o->g, err, errlen) != 0) return -1;
    if (judge_read_answer(j->answers, mc, &o->answer, why, sizeof why) != 0) {
        status = cli_no_memory(why) ? -1 : 1;
        snprintf(err, errlen, "%s", why);
        verdict_golden_clear(&o->g);
        op_case_free(o->c);
        return status;
    }
    /* Judged once more: this leaves the decisions in c as they were judged by. */
    status = verdict_judge(o->c, mc->name, &o->g, &o->answer, j->o->precision, &again, err, errlen);
    if (status == 0)
        verdict_case_clear(&again);
    else
        close_case(o);
    return status;
}

/* Diagnoses one failing case.  `alive`: the variants that explain every failing case of the operation before it; they
 * are tried first, and the rest only if none of them fits, so that a long list of failures costs little.  NULL: they are not
 * known, since other shards have cases of the operation too; choose_matches() makes up for it. */
static int diagnose_one(folder *j, size_t i, bool *alive, size_t variants, char *err, size_t errlen)
{
    verdict_case *v = &j->v[i];
    failing o;
    int status = open_case(j, i, &o, err, errlen);
    if (status == 0) {
        status = verdict_diagnose(o.c, &o.g, &o.answer, j->o->precision, alive, v, err, errlen);
        if (status == 0 && alive && v->matches == 0 && !v->ranked)
            status = verdict_diagnose(o.c, &o.g, &o.answer, j->o->precision, NULL, v, err, errlen);
        close_case(&o);
    }
    if (alive) narrow(v, alive, variants);
    return status < 0 ? -1 : 0;
}

/* --- two mistakes at once --- */

static bool to_diagnose(const verdict_case *v)
{
    if (v->large) return false;
    for (size_t i = 0; i < v->tensors; i++)
        if (v->t[i].judged && !v->t[i].pass) return true;
    return false;
}

/* The smallest failing case of the operation that nothing explains; j->n if there is none. */
static size_t unexplained_case(const folder *j, const op_record *op)
{
    size_t least = j->n;
    for (size_t k = 0; k < j->n; k++) {
        const verdict_case *v = &j->v[k];
        if (v->op != op || !to_diagnose(v) || v->ranked || verdict_explained(v)) continue;
        if (least == j->n || verdict_elements(v) < verdict_elements(&j->v[least])) least = k;
    }
    return least;
}

/* Tries the pairs that explain case `from` on another failing case; those that do not explain it are not tried on the next. */
static int try_on(folder *j, size_t from, size_t k, bool *alive, char *err, size_t errlen)
{
    verdict_case *v = &j->v[k];
    const verdict_case *first = &j->v[from];
    failing o;
    int status = open_case(j, k, &o, err, errlen);
    if (status != 0) return status < 0 ? -1 : 0;
    for (size_t i = 0; i < first->matches && status == 0; i++) {
        const size_t before = v->matches;
        if (!alive[i]) continue;
        status = verdict_diagnose_as(o.c, &o.g, &o.answer, j->o->precision, first->match[i].variant, v, err, errlen);
        alive[i] = v->matches > before;
    }
    close_case(&o);
    return status;
}

/* Pairs of variants, on the smallest case that no variant explains; those found are tried on the others, so that the report can
 * tell whether one explains them all. */
static int diagnose_pairs(folder *j, const op_record *op, char *err, size_t errlen)
{
    const size_t k = unexplained_case(j, op);
    failing o;
    int status = k < j->n ? open_case(j, k, &o, err, errlen) : 1;
    if (status != 0) return status < 0 ? -1 : 0;
    verdict_case *v = &j->v[k];
    status = verdict_diagnose_pairs(o.c, &o.g, &o.answer, j->o->precision, v, err, errlen);
    close_case(&o);
    bool *alive = calloc(v->matches + 1, sizeof *alive);
    if (!alive) return tensor_fail(err, errlen, "out of memory");
    for (size_t i = 0; i < v->matches; i++) alive[i] = strchr(v->match[i].variant->name, '+') != NULL;
    for (size_t i = 0; i < j->n && status == 0; i++)
        if (i != k && j->v[i].op == op && to_diagnose(&j->v[i])) status = try_on(j, k, i, alive, err, errlen);
    free(alive);
    return status;
}

static size_t variants_known(void)
{
    size_t n = 0;
    while (twin_variants[n].op) n++;
    return n;
}

/* All failing cases of operation number i of the registry, in their order. */
static int diagnose_operation(void *context, size_t i, char *err, size_t errlen)
{
    folder *j = context;
    bool alive[sizeof((judge_result *)NULL)->exposed];
    const size_t variants = variants_known();
    memset(alive, true, sizeof alive);
    for (size_t k = 0; k < j->n; k++) {
        if (j->v[k].op != op_registry[i] || !to_diagnose(&j->v[k])) continue;
        if (diagnose_one(j, k, j->o->shards ? NULL : alive, variants, err, errlen) == 0) continue;
        if (cli_no_memory(err)) return -1;
        verdict_detail(&j->v[k], verdict_say("could not be diagnosed: %s", err));
    }
    if (j->o->shards || diagnose_pairs(j, op_registry[i], err, errlen) == 0) return 0;
    return cli_no_memory(err) ? -1 : 0;
}

/* Of all variants that a case agrees with, those that a run of all cases would have found, which tries first what is alive. */
static void choose_of(verdict_case *v, const bool *alive)
{
    size_t n = 0;
    for (size_t pass = 0; pass < 2 && !v->ranked; pass++) { /* count, then keep them */
        size_t kept = 0;
        for (size_t k = 0; k < v->matches; k++) {
            const twin_variant *w = v->match[k].variant;
            if (verdict_in_table(w) && !alive[w - twin_variants]) continue;
            if (pass == 1) v->match[kept] = v->match[k];
            kept++;
        }
        n = kept;
        if (n == 0) return; /* none fits: the rest were tried */
    }
    if (!v->ranked) v->matches = n;
}

/* What diagnose_operation() would have found for each operation, in the verdicts of all shards. */
static void choose_matches(verdict_case *v, size_t cases)
{
    const size_t variants = variants_known();
    for (size_t i = 0; op_registry[i]; i++) {
        bool alive[sizeof((judge_result *)NULL)->exposed];
        memset(alive, true, sizeof alive);
        for (size_t k = 0; k < cases; k++) {
            if (v[k].op != op_registry[i] || !to_diagnose(&v[k])) continue;
            choose_of(&v[k], alive);
            narrow(&v[k], alive, variants);
        }
    }
}

static void *worker(void *context)
{
    folder *j = context;
    pthread_mutex_lock(&j->lock);
    while (j->next < j->units && !(j->o->stop && *j->o->stop)) {
        const size_t i = j->next++;
        char err[LINE] = "";
        pthread_mutex_unlock(&j->lock);
        const int status = j->work(j, i, err, sizeof err);
        pthread_mutex_lock(&j->lock);
        if (status != 0 && i < j->failed_unit) {
            j->failed_unit = i;
            memcpy(j->err, err, sizeof err);
            j->next = j->units; /* golden files are unusable: no more verdicts */
        }
        j->done++;
    }
    if (--j->threads == 0) pthread_cond_signal(&j->ended);
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

static size_t processors(void)
{
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (size_t)n : 1;
}

/* Waits for the workers; this thread shows the progress and notices a signal.  False if interrupted. */
static bool wait_for(folder *j, const char *what)
{
    const bool show = isatty(STDERR_FILENO);
    bool stopped = false;
    pthread_mutex_lock(&j->lock);
    while (j->threads > 0 && !stopped) {
        struct timespec until;
        if (show) fprintf(stderr, "\r%s %zu/%zu", what, j->done, j->units);
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 10000000; /* 10 ms */
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&j->ended, &j->lock, &until);
        stopped = j->o->stop && *j->o->stop;
    }
    stopped = stopped && j->threads > 0;
    pthread_mutex_unlock(&j->lock);
    if (show && !stopped) fprintf(stderr, "\r\033[K");
    return !stopped;
}

/* Runs `work` on every unit.  0, an exit status, or -1 if interrupted (the threads may still be running then). */
static int in_parallel(folder *j, size_t units, const char *what, int (*work)(void *, size_t, char *, size_t))
{
    enum { MOST = 64 };
    pthread_t thread[MOST];
    size_t n = j->o->jobs > 0 ? (size_t)j->o->jobs : processors();
    if (n > units) n = units;
    if (n > MOST) n = MOST;
    j->work = work;
    j->units = j->failed_unit = units;
    j->next = j->done = 0;
    j->threads = n;
    for (size_t i = 0; i < n; i++)
        if (pthread_create(&thread[i], NULL, worker, j) != 0) {
            pthread_mutex_lock(&j->lock);
            j->threads -= n - i;
            pthread_mutex_unlock(&j->lock);
            n = i;
        }
    if (n == 0 && units > 0) {
        j->threads = 1;
        worker(j); /* no thread could be had: do it here */
    }
    if (!wait_for(j, what)) return -1;
    for (size_t i = 0; i < n; i++) pthread_join(thread[i], NULL);
    if (j->o->stop && *j->o->stop) return -1;
    return j->failed_unit < units ? cli_input("%s", j->err) : 0;
}

static int work_on_large(void *context, size_t i, char *err, size_t errlen)
{
    folder *j = context;
    return large_case_work(j->large, i, err, errlen);
}

/* What the program left, and that there will be no diagnosis. */
static void end_large(folder *j, size_t i)
{
    verdict_case *v = &j->v[i];
    const judge_run *run = j->runs ? &j->runs[j->which[i]] : NULL;
    v->large = true;
    if (run && run->fault) verdict_fail(v, run->fault, run->output);
    for (size_t t = 0; t < v->tensors; t++)
        if (v->t[t].judged && !v->t[t].pass) {
            verdict_detail(v, verdict_say("not diagnosed: its files are larger than %zu MiB (--in-memory)",
                                          j->o->in_memory >> 20));
            return;
        }
}

/* One large case, by all threads.  0, an exit status, or -1 if interrupted. */
static int judge_large(folder *j, size_t i)
{
    char name[MANIFEST_NAME + 40], err[LINE] = "";
    const manifest_case *mc = &j->m->c[j->which[i]];
    snprintf(name, sizeof name, "%s%s", mc->name, j->suffix);
    int opened = large_case_open(&j->large, j->o, j->dir, j->answers, mc, name, err, sizeof err);
    if (opened < 0) return cli_input("%s", err);
    int status = 0;
    if (opened == 0) {
        status = in_parallel(j, large_case_pieces(j->large), "judge", work_on_large);
        if (status == -1) return -1; /* threads may still be at work */
        if (status == 0) opened = large_case_end(j->large, &j->v[i]);
        large_case_free(j->large);
        j->large = NULL;
    }
    if (status != 0) return status;
    if (opened == 0) {
        end_large(j, i);
        return 0;
    }
    j->is_large[i] = false;
    return judge_one(j, i, err, sizeof err) == 0 ? 0 : cli_input("%s", err);
}

int judge_folder(const judge_options *o, const char *dir, const char *answers, const manifest *m, const judge_run *runs,
                 const char *suffix, judge_result *r)
{
    /* Static storage: an interrupted caller leaves threads behind that still look at it until the process ends. */
    size_t wanted = 0;
    static folder j;
    static size_t *which;
    static bool *is_large;
    free(which);
    free(is_large);
    which = calloc(m->cases ? m->cases : 1, sizeof *which);
    is_large = calloc(m->cases ? m->cases : 1, sizeof *is_large);
    j = (folder){.o = o, .dir = dir, .answers = answers, .suffix = suffix, .m = m, .runs = runs, .exposed = r->exposed};
    pthread_mutex_init(&j.lock, NULL);
    pthread_cond_init(&j.ended, NULL);
    for (size_t i = 0; which && i < m->cases; i++)
        if (judge_wants(o, &m->c[i]) && (o->shards == 0 || wanted++ % o->shards == o->shard - 1)) which[j.n++] = i;
    if (!which || !is_large) return cli_input("out of memory for %zu cases", m->cases);
    for (size_t i = 0; i < j.n; i++) is_large[i] = large_case_is(o, dir, answers, &m->c[which[i]]);
    const int none = judge_wants_any(o, dir, m);
    if (none != 0 || j.n == 0) return none;
    verdict_case *list = realloc(r->c, (r->cases + j.n) * sizeof *list);
    if (!list) return cli_input("out of memory for %zu verdicts", j.n);
    r->c = list;
    memset(r->c + r->cases, 0, j.n * sizeof *list);
    j.which = which;
    j.is_large = is_large;
    j.v = r->c + r->cases;
    size_t operations = 0;
    while (op_registry[operations]) operations++;
    int status = in_parallel(&j, j.n, "judge", judge_one);
    for (size_t i = 0; i < j.n && status == 0; i++)
        if (is_large[i]) status = judge_large(&j, i);
    if (status >= 0) r->cases += j.n;
    if (status == 0) status = in_parallel(&j, operations, "diagnose", diagnose_operation);
    return status;
}

void judge_result_clear(judge_result *r)
{
    for (size_t i = 0; i < r->cases; i++) verdict_case_clear(&r->c[i]);
    free(r->c);
    r->c = NULL;
    r->cases = 0;
}

int judge_finish(const judge_options *o, const judge_result *r, const char *suite, uint64_t seed, uint64_t seeds)
{
    const report rep = {.version = cli_version,
                        .suite = suite,
                        .seed = seed,
                        .seeds = seeds,
                        .precision = o->precision,
                        .forward = o->forward,
                        .selected = o->where.count > 0 || o->where.defaults,
                        .cases = r->cases,
                        .c = r->c,
                        .exposed = o->power ? r->exposed : NULL};
    int status = report_failed(&rep) ? STATUS_FAIL : STATUS_PASS;
    report_print(stdout, &rep, o->quiet, cli_colour(stdout));
    if (fflush(stdout) != 0) status = cli_input("standard output: %s", strerror(errno));
    for (size_t i = 0; i < o->reports; i++) {
        report_format f = REPORT_TEXT;
        size_t n = 0;
        char err[LINE] = "";
        report_format_of(o->report[i], &f);
        char *text = report_render(&rep, f, &n);
        if (!text || cli_write_file(o->report[i], text, n, err, sizeof err) != 0)
            status = cli_input("%s", text ? err : "out of memory for a report");
        free(text);
    }
    return status;
}

/* --- shards -------------------------------------------------------------------------------------------------- */

/* The digest of what the command line asks for, so that parts of different runs are not joined. */
static void digest_asked(const judge_options *o, char hex[65])
{
    struct sha256_ctx context;
    unsigned char digest[SHA256_DIGEST_SIZE];
    char text[256];
    sha256_init(&context);
    for (size_t i = 0; i < o->ops.count; i++) {
        const char *id = o->ops.op[i]->id;
        sha256_update(&context, strlen(id) + 1, (const uint8_t *)id);
    }
    for (size_t i = 0; i < o->where.count; i++)
        sha256_update(&context, strlen(o->where.text[i]) + 1, (const uint8_t *)o->where.text[i]);
    snprintf(text, sizeof text, "defaults %d memory %zu", o->where.defaults, o->in_memory);
    sha256_update(&context, strlen(text), (const uint8_t *)text);
    sha256_digest(&context, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static int write_shard(const judge_options *o, const char *path, const char *manifest_path, const manifest *m,
                       const judge_result *r)
{
    char err[LINE];
    verdict_store s = {.shard = o->shard,
                       .shards = o->shards,
                       .suite = m->suite,
                       .seed = m->seed,
                       .precision = (char *)(uintptr_t)o->precision->name,
                       .forward = o->forward,
                       .power = o->power,
                       .cases = r->cases,
                       .c = r->c};
    for (size_t i = 0; i < m->cases; i++) s.total += judge_wants(o, &m->c[i]);
    memcpy(s.exposed, r->exposed, sizeof s.exposed);
    digest_asked(o, s.asked);
    if (tensor_file_sha256(manifest_path, s.manifest, err, sizeof err) != 0 ||
        verdict_store_write(path, &s, cli_version, err, sizeof err) != 0)
        return cli_input("%s", err);
    size_t failed = 0;
    for (size_t i = 0; i < r->cases; i++) failed += !r->c[i].pass;
    printf("shard %zu/%zu is in %s: %zu passed, %zu failed; when all are there: smoeref diff merge FILE ...\n",
           o->shard, o->shards, path, r->cases - failed, failed);
    return failed ? STATUS_FAIL : STATUS_PASS;
}

static int merge(judge_options *o, size_t n, const char *const *path)
{
    char err[LINE] = "";
    verdict_store *s = calloc(n, sizeof *s);
    judge_result r = {0};
    int status = s ? 0 : cli_input("out of memory");
    for (size_t i = 0; i < n && status == 0; i++)
        if (verdict_store_read(path[i], &s[i], cli_version, err, sizeof err) != 0) status = cli_input("%s", err);
    if (status == 0 && verdict_store_join(s, n, path, &r.c, err, sizeof err) != 0) status = cli_input("%s", err);
    if (status == 0) {
        r.cases = s[0].total;
        for (size_t i = 0; i < n; i++)
            for (size_t w = 0; w < TWIN_VARIANTS; w++) r.exposed[w] |= s[i].exposed[w];
        choose_matches(r.c, r.cases);
        o->precision = twin_profile_find(s[0].precision);
        o->forward = s[0].forward;
        o->power = s[0].power;
        status = judge_finish(o, &r, s[0].suite, s[0].seed, 1);
    }
    judge_result_clear(&r);
    for (size_t i = 0; s && i < n; i++) verdict_store_clear(&s[i]);
    free(s);
    return status;
}

/* --- the command --------------------------------------------------------------------------------------------- */

enum { OPTION_MEMORY = JUDGE_NEXT, OPTION_VERIFIED, OPTION_SHARD, OPTION_OUT };

static const cli_option options[] = {
    JUDGE_OPTIONS,
    JUDGE_MEMORY_OPTION,
    {"--verified", NULL,
     "do not digest the golden files again: smoeref vectors verify has found them to be what they were"},
    {"--shard", "I/N", "judge only the I-th of N parts of the cases, for several machines; needs --out"},
    {"--out", "FILE", "the verdicts of the shard, for diff merge"},
    {NULL, NULL, NULL}};

static const cli_command command = {
    "diff",
    "DIR ANSWERS [OP ...] [--precision P] [--where NAME=VALUE] [--report FILE] | merge FILE ...",
    "Judges the answers in a folder against the golden cases of DIR (see smoeref gen).  The answer to case NAME is\n"
    "ANSWERS/NAME.safetensors (or its shards' NAME.safetensors.index.json), NAME.npz or a folder NAME of TENSOR.npy "
    "files.\n"
    "A missing one is a failure.  merge: joins what --shard I/N --out FILE wrote, and reports as one run would have.",
    options,
};

typedef struct {
    judge_options o;
    const char *out;
    size_t words;
    const char **word; /* that are no options: folders and operations, or merge and files */
    bool chosen; /* an option that a merge takes from its files was given */
} request;

static int set_shard(request *q, const char *value)
{
    int end = 0;
    const bool plain = strspn(value, "0123456789/") == strlen(value) && strlen(value) < 14;
    if (plain && sscanf(value, "%zu/%zu%n", &q->o.shard, &q->o.shards, &end) == 2 && !value[end] && q->o.shard >= 1 &&
        q->o.shard <= q->o.shards && q->o.shards <= 100000)
        return 0;
    return cli_usage(&command, "--shard is '%.40s', expected I/N with 1 <= I <= N", value);
}

static int take_option(request *q, int option, const char *value)
{
    q->chosen |= option != CLI_WORD && option != JUDGE_REPORT && option != JUDGE_QUIET;
    switch (option) {
    case CLI_WORD:
        q->word[q->words++] = value;
        return 0;
    case OPTION_MEMORY:
        return judge_set_memory(&q->o, &command, value);
    case OPTION_VERIFIED:
        q->o.verified = true;
        return 0;
    case OPTION_SHARD:
        return set_shard(q, value);
    case OPTION_OUT:
        q->out = value;
        return 0;
    default:
        return judge_option(&q->o, &command, option, value);
    }
}

static int check_shard(const request *q)
{
    char err[LINE];
    if (!q->o.shards && q->out) return cli_usage(&command, "--out is for the verdicts of a --shard");
    if (q->o.shards && !q->out) return cli_usage(&command, "--shard needs --out: its verdicts are merged later");
    if (q->o.shards && q->o.reports) return cli_usage(&command, "a shard is a part: --report goes with merge");
    if (q->out && cli_writable(q->out, err, sizeof err) != 0) return cli_input("--out %s", err);
    return 0;
}

static int run_merge(request *q)
{
    if (q->words < 2) return cli_usage(&command, "merge: expected the files of all shards");
    if (q->chosen) return cli_usage(&command, "merge takes --report and --quiet; all else is in its files");
    const int status = judge_prepare(&q->o);
    return status ? status : merge(&q->o, q->words - 1, q->word + 1);
}

static int run_diff(request *q)
{
    judge_options *o = &q->o;
    char path[PATH], err[LINE];
    struct stat s;
    manifest m;
    judge_result r = {0};
    int status = 0;
    if (q->words < 2) return cli_usage(&command, "expected two folders: the golden cases and the answers");
    for (size_t i = 2; i < q->words && status == 0; i++) status = cli_add_ops(&command, &o->ops, q->word[i]);
    if (status != 0) return status;
    if (cli_check_where(&command, &o->where, &o->ops) != 0) return STATUS_USAGE;
    status = check_shard(q);
    if (status != 0) return status;
    if (judge_prepare(o) != 0) return STATUS_INPUT;
    if (stat(q->word[1], &s) != 0 || !S_ISDIR(s.st_mode))
        return cli_input("%s: expected a folder of answers", q->word[1]);
    snprintf(path, sizeof path, "%s/manifest.json", q->word[0]);
    if (manifest_read(path, &m, err, sizeof err) != 0) return cli_input("%s", err);
    status = judge_settle(o, &m);
    if (status == 0 && o->shards && o->precision->apart)
        status =
            cli_usage(&command, "--shard: roundoffs apart from the precision are not kept in the verdicts of a shard");
    if (status == 0) status = judge_folder(o, q->word[0], q->word[1], &m, NULL, "", &r);
    if (status == 0)
        status = o->shards ? write_shard(o, q->out, path, &m, &r) : judge_finish(o, &r, m.suite, m.seed, 1);
    judge_result_clear(&r);
    manifest_clear(&m);
    return status;
}

int cmd_diff(int argc, char **argv)
{
    cli p = cli_start(&command, argc, argv);
    request q = {.o = judge_defaults(&command), .word = calloc((size_t)argc + 1, sizeof *q.word)};
    const char *value;
    int status = q.word ? 0 : cli_input("out of memory");
    for (int option; status == 0 && (option = cli_next(&p, &value)) != CLI_END;) {
        if (option == CLI_STOP) {
            free(q.word);
            return p.status;
        }
        status = take_option(&q, option, value);
    }
    if (status == 0) status = q.words && strcmp(q.word[0], "merge") == 0 ? run_merge(&q) : run_diff(&q);
    free(q.word);
    return status;
}
