/* smoeref gen: golden cases. */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd.h"
#include "digest.h"
#include "manifest.h"
#include "prompt.h"
#include "stream.h"
#include "text.h"
#include "twin.h"
#include "verdict.h"
#include "work.h"

enum {
    OPTION_OUT,
    OPTION_STREAM,
    OPTION_SUITE,
    OPTION_SEED,
    OPTION_PRECISION,
    OPTION_TEXT,
    OPTION_WHERE,
    OPTION_DEFAULTS,
    OPTION_JOBS,
    OPTION_BREAK
};
static const cli_option options[] = {
    [OPTION_OUT] = {"--out", "DIR", "the folder to write; it must not exist, be empty or hold golden cases"},
    [OPTION_STREAM] = {"--stream", NULL,
                       "instead: the prompts to standard output, one line of JSON each, for a pipe to smoeref ver"},
    [OPTION_SUITE] = {"--suite", "SUITE,...", "smoke, core, adversarial, large (default core; may be repeated)"},
    [OPTION_SEED] = {"--seed", "S", "of the random inputs (default 1)"},
    [OPTION_PRECISION] = {"--precision", "P,...",
                          "store bounds for f64, f32, tf32, bf16, f16 (default f64,f32,bf16), or none"},
    [OPTION_TEXT] = {"--text", "FILE", "cases of layer.smoe and compete.layer on activations made of a text file"},
    [OPTION_WHERE] = {"--where", "NAME=VALUE",
                      "only cases whose parameter NAME is VALUE (or one of VALUE|VALUE...); without=FLAG: none with "
                      "that flag; case=NAME"},
    [OPTION_DEFAULTS] = {"--defaults", NULL,
                         "only cases in which every parameter has its default, none with a padding mask"},
    [OPTION_JOBS] = {"--jobs", "N", "processes (default: one for each processor); does not change a byte"},
    [OPTION_BREAK] = {"--break", "WHAT", NULL}, /* the negative control of the self-check */
    {NULL, NULL, NULL},
};
static const cli_command command = {
    "gen",
    "[OP ...] --out DIR | --stream [--suite SUITE,...] [--seed S] [--precision P,...] [--text FILE]\n"
    "                   [--where NAME=VALUE] [--defaults] [--jobs N]",
    "Writes golden cases: NAME.prompt.safetensors (inputs and cotangents, all that an implementation needs),\n"
    "NAME.expected.safetensors (outputs, gradients, their enclosures and bounds) and manifest.json. OP is an operation "
    "or a\n"
    "chapter; none means all. With --text and no --suite only the text cases are written.",
    options,
};

enum { PATH = 4096 };

typedef struct {
    const op_record *op;
    const op_spec *spec;
    bool text;
    char name[MANIFEST_NAME];
} item;

/* What the workers share. */
typedef struct {
    const gen_options *o;
    item *items;
    size_t count;
    double *text; /* activations, or NULL */
    char folder[PATH]; /* where the files are written before they are complete */
} generation;

/* --- one case: golden values, radii and bounds ------------------------------------------------------------------- */

typedef struct {
    const op_case *c;
    const char *name;
    tensor_file file;
    char *message;
} writer;

__attribute__((format(printf, 2, 3))) static int say(writer *w, const char *format, ...)
{
    char text[JOB_MESSAGE / 2];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    snprintf(w->message, JOB_MESSAGE, "%s: %s", w->name, text);
    return cli_no_memory(text) ? STATUS_INPUT : STATUS_FAIL;
}

static int add_f64(writer *w, const char *prefix, const char *name, size_t rank, const size_t *dim, const double *data)
{
    char full[200];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    return tensor_file_add(&w->file, full, TENSOR_F64, rank, dim, data) == 0 ? 0 : say(w, "out of memory");
}

/* Adds prefix.name: what contains the ball about the golden value. */
static int add_bound(writer *w, const char *prefix, const char *name, const op_value *golden, const twin_tensor *ball)
{
    double *bound = calloc(golden->count ? golden->count : 1, sizeof *bound);
    if (!bound) return say(w, "out of memory");
    for (size_t i = 0; i < golden->count; i++)
        bound[i] = verdict_bound(ball->hi[i], ball->lo[i], ball->rad[i], golden->f64[i]);
    const int status = add_f64(w, prefix, name, golden->rank, golden->dim, bound);
    free(bound);
    return status;
}

/* The shape [T,N] of the scores that a decision [T,K] is taken on. */
static op_value score_value(const op_value *decision, const twin_tensor *score)
{
    op_value v = {.rank = 2, .count = score->count, .f64 = score->hi};
    v.dim[0] = decision->dim[0];
    v.dim[1] = decision->dim[0] ? score->count / decision->dim[0] : 0;
    return v;
}

/* Calls add_bound for everything that has a ball.  For scores the golden value is the exact value's nearest double. */
static int add_bounds(writer *w, const char *prefix, const char *score_prefix, const twin_result *exact,
                      const twin_result *r)
{
    const op_case *c = w->c;
    int status = 0;
    for (size_t i = 0; c->op->out[i].name && status == 0; i++) {
        const op_tensor *t = &c->op->out[i];
        if (c->out[i].f64 && !(t->flags & OP_MARGIN) && r->out[i].count == c->out[i].count)
            status = add_bound(w, prefix, t->name, &c->out[i], &r->out[i]);
        if (t->kind != OP_DECISION || status != 0 || !score_prefix || r->score[i].count != exact->score[i].count)
            continue;
        const op_value score = score_value(&c->out[i], &exact->score[i]);
        status = add_bound(w, score_prefix, t->name, &score, &r->score[i]);
    }
    for (size_t i = 0; c->op->in[i].name && status == 0; i++) {
        char name[80];
        if (!(c->op->in[i].flags & OP_DIFF) || r->grad[i].count != c->grad[i].count) continue;
        snprintf(name, sizeof name, "d_%s", c->op->in[i].name);
        status = add_bound(w, prefix, name, &c->grad[i], &r->grad[i]);
    }
    return status;
}

static int add_scores(writer *w, const twin_result *exact)
{
    int status = 0;
    for (size_t i = 0; w->c->op->out[i].name && status == 0; i++) {
        if (w->c->op->out[i].kind != OP_DECISION) continue;
        const op_value score = score_value(&w->c->out[i], &exact->score[i]);
        status = add_f64(w, "score.", w->c->op->out[i].name, score.rank, score.dim, score.f64);
    }
    return status;
}

/* --- one case: is the golden value what it claims to be? --------------------------------------------------------- */

/* A binary64 evaluation of the equation cannot leave these balls, so a golden value that does is wrong, or they are. */
static int check_ball(writer *w, const char *prefix, const char *name, const op_value *golden, const twin_tensor *ball)
{
    if (ball->count != golden->count) return say(w, "%s%s: the twin does not compute it", prefix, name);
    for (size_t i = 0; i < golden->count; i++) {
        const double off = fabs(ball->hi[i] - golden->f64[i] + ball->lo[i]);
        if (off * (1 - 0x1p-50) <= ball->rad[i]) continue;
        return say(
            w, "%s%s: self-check: golden element %zu is %.17g, the twin has %.17g +- %.3g: reference and twin disagree",
            prefix, name, i, golden->f64[i], ball->hi[i], ball->rad[i]);
    }
    return 0;
}

static int check_decision(writer *w, const op_tensor *t, const op_value *golden, const twin_tensor *score)
{
    const size_t T = golden->dim[0], K = golden->rank > 1 ? golden->dim[1] : 1;
    if (golden->count == 0) return 0;
    if (score->count == 0) return say(w, "%s: the twin computes no scores", t->name);
    golden_tensor ball = {.count = score->count, .value = score->hi};
    ball.bound = calloc(score->count, sizeof *ball.bound);
    if (!ball.bound) return say(w, "out of memory");
    for (size_t i = 0; i < score->count; i++)
        ball.bound[i] = verdict_bound(score->hi[i], score->lo[i], score->rad[i], score->hi[i]);
    int status = 0;
    for (size_t row = 0; row < T && status == 0; row++) {
        int64_t taken, left;
        if (!verdict_admissible(&ball, row, score->count / T, K, golden->i64 + row * K, &taken, &left))
            status =
                say(w,
                    "%s: self-check: the golden decision of token %zu takes expert %lld where the twin scores %lld "
                    "higher",
                    t->name, row, (long long)taken, (long long)left);
    }
    free(ball.bound);
    return status;
}

static int self_check(writer *w, const twin_result *r)
{
    const op_case *c = w->c;
    int status = 0;
    for (size_t i = 0; c->op->out[i].name && status == 0; i++) {
        const op_tensor *t = &c->op->out[i];
        if (t->kind == OP_DECISION)
            status = check_decision(w, t, &c->out[i], &r->score[i]);
        else if (t->kind == OP_STAGE && r->out[i].count == 0)
            continue;
        else if (c->out[i].f64 && !(t->flags & OP_MARGIN))
            status = check_ball(w, "", t->name, &c->out[i], &r->out[i]);
    }
    for (size_t i = 0; c->op->in[i].name && status == 0; i++)
        if (c->op->in[i].flags & OP_DIFF) status = check_ball(w, "d_", c->op->in[i].name, &c->grad[i], &r->grad[i]);
    return status;
}

/* --- one case: the twin's part and the files --------------------------------------------------------------------- */

static int run_twin(writer *w, const twin_profile *p, twin_result *r)
{
    char err[300];
    if (twin_run(w->c, p, NULL, VERDICT_PREC, r, err, sizeof err) == 0) return 0;
    return say(w, "the twin: %s", err);
}

/* Everything of one precision; binary64 is computed whether it is stored or not, for the self-check. */
static int add_precision(writer *w, const twin_profile *p, bool store, const twin_result *exact)
{
    char prefix[40], score_prefix[40];
    twin_result r = {0};
    int status = run_twin(w, p, &r);
    if (status == 0 && strcmp(p->name, "f64") == 0) status = self_check(w, &r);
    snprintf(prefix, sizeof prefix, "bound.%s.", p->name);
    snprintf(score_prefix, sizeof score_prefix, "score_bound.%s.", p->name);
    if (status == 0 && store) status = add_bounds(w, prefix, score_prefix, exact, &r);
    twin_result_clear(&r);
    return status;
}

static bool wanted(const name_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->name[i], name) == 0) return true;
    return false;
}

static int add_twin(writer *w, const gen_options *o)
{
    twin_result exact = {0};
    int status = run_twin(w, NULL, &exact);
    if (status == 0) status = add_bounds(w, "radius.", NULL, &exact, &exact);
    if (status == 0) status = add_scores(w, &exact);
    for (const twin_profile *p = twin_profiles; p->name && status == 0; p++) {
        const bool store = wanted(&o->precision, p->name);
        if (store || strcmp(p->name, "f64") == 0) status = add_precision(w, p, store, &exact);
    }
    twin_result_clear(&exact);
    return status;
}

static int write_file(writer *w, const char *folder, const char *what)
{
    char path[PATH + 300], err[TENSOR_ERROR];
    snprintf(path, sizeof path, "%s/%s.%s.safetensors", folder, w->name, what);
    if (tensor_file_write(path, &w->file, err, sizeof err) == 0) return 0;
    snprintf(w->message, JOB_MESSAGE, "%s", err);
    return STATUS_INPUT;
}

static int write_prompt(writer *w, const char *folder)
{
    int status = op_add_prompt(&w->file, w->c, w->name) == 0 ? 0 : say(w, "out of memory");
    if (status == 0) status = write_file(w, folder, "prompt");
    tensor_file_clear(&w->file);
    return status;
}

static int write_expected(writer *w, const gen_options *o, const char *folder)
{
    int bad = tensor_file_add_meta(&w->file, "op", w->c->op->id) | tensor_file_add_meta(&w->file, "case", w->name);
    bad |= op_add_answer(&w->file, w->c, w->c->op->vjp != NULL);
    int status = bad ? say(w, "out of memory") : 0;
    if (status == 0 && !o->no_twin) status = add_twin(w, o);
    if (status == 0) status = write_file(w, folder, "expected");
    tensor_file_clear(&w->file);
    return status;
}

/* Spoils a golden value by a billionth, or makes a decision that the scores do not admit. */
static void spoil(op_case *c, const char *what)
{
    for (size_t i = 0; c->op->out[i].name; i++) {
        const bool decision = c->op->out[i].kind == OP_DECISION && c->out[i].count > 0;
        if (strcmp(what, "value") == 0 && c->op->out[i].kind == OP_BOUNDED && c->out[i].count > 0)
            c->out[i].f64[0] += 1e-9 * (1 + fabs(c->out[i].f64[0]));
        if (strcmp(what, "decision") == 0 && decision) c->out[i].i64[0] = c->out[i].i64[0] == 0 ? 1 : 0;
    }
    for (size_t i = 0; c->op->in[i].name; i++)
        if (strcmp(what, "gradient") == 0 && c->grad[i].count > 0)
            c->grad[i].f64[0] += 1e-9 * (1 + fabs(c->grad[i].f64[0]));
}

static int generate(void *context, size_t i, char message[JOB_MESSAGE])
{
    const generation *g = context;
    const item *it = &g->items[i];
    char err[400];
    op_case *c = op_case_from_spec(it->op, it->spec, g->o->seed, err, sizeof err);
    writer w = {.c = c, .name = it->name, .file = {0}, .message = message};
    if (!c) return say(&w, "%s", err);
    if (it->text) memcpy(op_in(c, "x"), g->text, TEXT_T * TEXT_D * sizeof *g->text);
    const smoe_status s = op_run(c);
    int status = s == SMOE_OK ? 0 : say(&w, "%s", smoe_strerror(s));
    if (status == 0 && g->o->spoil) spoil(c, g->o->spoil);
    if (status == 0) status = write_prompt(&w, g->folder);
    if (status == 0) status = write_expected(&w, g->o, g->folder);
    op_case_free(c);
    return status;
}

/* The manifest of a folder with this one case. */
static int write_manifest_of_one(const op_case *c, const char *name, const char *folder)
{
    char path[PATH + 300], prompt[65], expected[65], err[TENSOR_ERROR];
    manifest m;
    if (manifest_init(&m, cli_version, "shrunk", 0, err, sizeof err) != 0) return cli_input("%s", err);
    char *json = op_parameters_json(c);
    int bad = json ? 0 : tensor_fail(err, sizeof err, "out of memory");
    snprintf(path, sizeof path, "%s/%s.prompt.safetensors", folder, name);
    if (!bad) bad = tensor_file_sha256(path, prompt, err, sizeof err);
    snprintf(path, sizeof path, "%s/%s.expected.safetensors", folder, name);
    if (!bad) bad = tensor_file_sha256(path, expected, err, sizeof err);
    if (!bad) bad = manifest_add(&m, name, c->op->id, json, "", prompt, expected, err, sizeof err);
    snprintf(path, sizeof path, "%s/manifest.json", folder);
    if (!bad) bad = manifest_write(path, &m, err, sizeof err);
    free(json);
    manifest_clear(&m);
    return bad ? cli_input("%s", err) : 0;
}

int gen_one(const op_case *c, const char *name, const name_list *precision, const char *folder)
{
    char message[JOB_MESSAGE] = "";
    gen_options o = gen_defaults();
    o.precision = *precision;
    writer w = {.c = c, .name = name, .file = {0}, .message = message};
    if (mkdir(folder, 0777) != 0) return cli_input("%s: cannot be made: %s", folder, strerror(errno));
    int status = write_prompt(&w, folder);
    if (status == 0) status = write_expected(&w, &o, folder);
    if (status != 0) return cli_input("%s", message);
    return write_manifest_of_one(c, name, folder);
}

/* --- which cases ------------------------------------------------------------------------------------------------- */

static int add_item(generation *g, const op_record *op, const op_spec *spec, bool text)
{
    item *grown = realloc(g->items, (g->count + 1) * sizeof *grown);
    if (!grown) return cli_input("out of memory");
    g->items = grown;
    item *it = &g->items[g->count++];
    *it = (item){.op = op, .spec = spec, .text = text};
    snprintf(it->name, sizeof it->name, "%s.%s", op->id, spec->name);
    return 0;
}

/* The parameters as the prompt states them, defaults included. */
static char *parameters_of(const op_record *op, const op_spec *spec)
{
    char err[400];
    op_case *c = op_case_new(op, spec->dims, spec->set, err, sizeof err);
    char *json = c ? op_parameters_json(c) : NULL;
    op_case_free(c);
    return json;
}

static bool matches(const where_list *where, const op_record *op, const op_spec *spec)
{
    if (where->count == 0 && !where->defaults) return true;
    char *json = parameters_of(op, spec);
    const bool keep = !json || cli_where(where, op, spec->name, json,
                                         spec->flags); /* what cannot be made is reported where it is made */
    free(json);
    return keep;
}

static int collect(generation *g, const op_list *ops, const name_list *suites)
{
    int status = 0;
    for (size_t i = 0; i < ops->count && status == 0; i++) {
        const op_record *op = ops->op[i];
        const size_t before = g->count;
        for (const op_spec *s = op->cases; s && s->name && status == 0; s++)
            if (cli_in_suites(suites, s) && matches(&g->o->where, op, s)) status = add_item(g, op, s, false);
        for (const text_case *t = text_cases; t->op && g->o->text && status == 0; t++)
            if (strcmp(t->op, op->id) == 0 && matches(&g->o->where, op, &t->spec))
                status = add_item(g, op, &t->spec, true);
        if (status == 0 && g->count == before && ops->by_name[i])
            return cli_usage(g->o->command, "there is no case of %s in the suite%s asked for%s", op->id,
                             suites->count > 1 ? "s" : "", cli_where_leaves(&g->o->where));
    }
    if (status == 0 && g->count == 0)
        return cli_usage(g->o->command, "there is no case of these operations in the suite%s asked for%s",
                         suites->count > 1 ? "s" : "", cli_where_leaves(&g->o->where));
    return status;
}

static int read_text(generation *g)
{
    char err[600];
    g->text = calloc(TEXT_T * TEXT_D, sizeof *g->text);
    if (!g->text) return cli_input("out of memory");
    return text_activations(g->o->text, g->o->seed, g->text, err, sizeof err) == 0 ? 0 : cli_input("%s", err);
}

/* --- the folder -------------------------------------------------------------------------------------------------- */

typedef enum { FOLDER_NEW, FOLDER_EMPTY, FOLDER_GOLDEN } folder_state;

static int inspect_folder(const char *path, folder_state *state)
{
    char manifest_path[PATH + 20];
    *state = FOLDER_NEW;
    DIR *d = opendir(path);
    if (!d && errno == ENOENT) return 0;
    struct stat s;
    if (!d && stat(path, &s) == 0 && !S_ISDIR(s.st_mode)) return cli_input("%s: is a file, expected a folder", path);
    if (!d) return cli_input("%s: cannot be written: %s", path, strerror(errno));
    *state = FOLDER_EMPTY;
    for (const struct dirent *e; *state == FOLDER_EMPTY && (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) *state = FOLDER_GOLDEN;
    closedir(d);
    snprintf(manifest_path, sizeof manifest_path, "%s/manifest.json", path);
    if (*state == FOLDER_GOLDEN && access(manifest_path, F_OK) != 0)
        return cli_input("%s: holds files but no manifest.json, expected a new or empty folder or one that gen wrote",
                         path);
    return 0;
}

static int make_folder(generation *g, folder_state state)
{
    const char *out = g->o->out;
    size_t n = strlen(out);
    while (n > 1 && out[n - 1] == '/') n--;
    const int at = snprintf(g->folder, sizeof g->folder, state == FOLDER_NEW ? "%.*s.partial-%ld" : "%.*s/.partial-%ld",
                            (int)n, out, (long)getpid());
    if (n == 0 || at >= PATH - 1) return cli_input("%s: no usable name of a folder", out);
    if (mkdir(g->folder, 0777) == 0) {
        work_scratch(g->folder);
        return 0;
    }
    if (errno == ENOENT) return cli_input("%s: cannot be written: the folder that it is to be in does not exist", out);
    return cli_input("%s: cannot be written: %s", out, strerror(errno));
}

/* Removes the folder of unfinished work, which nobody else writes to. */
static void remove_folder(const char *path)
{
    DIR *d = opendir(path);
    if (!d) return;
    for (const struct dirent *e; (e = readdir(d));) {
        char file[PATH + 300];
        snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        if (e->d_name[0] != '.') unlink(file);
    }
    closedir(d);
    rmdir(path);
}

static int file_sha256(const generation *g, const char *name, const char *what, char hex[65])
{
    char path[PATH + 300], err[TENSOR_ERROR];
    snprintf(path, sizeof path, "%s/%s.%s.safetensors", g->folder, name, what);
    return tensor_file_sha256(path, hex, err, sizeof err) == 0 ? 0 : cli_input("%s", err);
}

/* The digests of the blocks, if one of the two files is large. */
static int add_blocks(const generation *g, manifest *m, const item *it)
{
    static const char *const what[2] = {"prompt", "expected"};
    char path[2][PATH + 300], *digests[2] = {NULL, NULL}, err[TENSOR_ERROR] = "";
    bool large = false;
    for (int i = 0; i < 2; i++) {
        struct stat s;
        snprintf(path[i], sizeof path[i], "%s/%s.%s.safetensors", g->folder, it->name, what[i]);
        large |= stat(path[i], &s) == 0 && s.st_size >= DIGEST_LARGE;
    }
    if (!large) return 0;
    for (int i = 0; i < 2; i++) digests[i] = file_block_digests(path[i], err, sizeof err);
    const bool bad = !digests[0] || !digests[1] || manifest_add_blocks(m, digests[0], digests[1], err, sizeof err) != 0;
    for (int i = 0; i < 2; i++) free(digests[i]);
    return bad ? cli_input("%s", err) : 0;
}

static int add_to_manifest(const generation *g, manifest *m, const item *it)
{
    char prompt[65], expected[65], err[TENSOR_ERROR];
    if (file_sha256(g, it->name, "prompt", prompt) != 0 || file_sha256(g, it->name, "expected", expected) != 0)
        return STATUS_INPUT;
    char *json = parameters_of(it->op, it->spec);
    int status = json ? 0 : cli_input("out of memory");
    if (status == 0 &&
        manifest_add(m, it->name, it->op->id, json, it->spec->flags, prompt, expected, err, sizeof err) != 0)
        status = cli_input("%s", err);
    free(json);
    return status == 0 ? add_blocks(g, m, it) : status;
}

static int write_manifest(const generation *g, const name_list *suites)
{
    char suite[100] = "", path[PATH + 20], err[TENSOR_ERROR];
    size_t at = 0;
    for (size_t i = 0; i < suites->count; i++)
        at += (size_t)snprintf(suite + at, sizeof suite - at, "%s%s", i ? "+" : "", suites->name[i]);
    if (g->o->text) snprintf(suite + at, sizeof suite - at, "%stext", at ? "+" : "");
    manifest m;
    if (manifest_init(&m, cli_version, suite, g->o->seed, err, sizeof err) != 0) return cli_input("%s", err);
    int status = 0;
    for (size_t i = 0; i < g->count && status == 0; i++) status = add_to_manifest(g, &m, &g->items[i]);
    snprintf(path, sizeof path, "%s/manifest.json", g->folder);
    if (status == 0 && manifest_write(path, &m, err, sizeof err) != 0) status = cli_input("%s", err);
    manifest_clear(&m);
    return status;
}

static void case_file(char path[PATH + 300], const char *folder, const char *name, const char *what)
{
    snprintf(path, PATH + 300, "%s/%s.%s.safetensors", folder, name, what);
}

/* Takes the cases of an earlier run away, its manifest first: without one a folder is not golden. */
static int remove_old(const char *out)
{
    char path[PATH + 300], err[TENSOR_ERROR];
    manifest old;
    snprintf(path, sizeof path, "%s/manifest.json", out);
    if (manifest_read(path, &old, err, sizeof err) != 0) return cli_input("%s", err);
    int status = unlink(path) == 0 ? 0 : cli_input("%s: cannot be replaced: %s", path, strerror(errno));
    for (size_t i = 0; i < old.cases && status == 0; i++) {
        case_file(path, out, old.c[i].name, "prompt");
        unlink(path);
        case_file(path, out, old.c[i].name, "expected");
        unlink(path);
    }
    manifest_clear(&old);
    return status;
}

static int move(const char *from, const char *to)
{
    return rename(from, to) == 0 ? 0 : cli_input("%s: cannot be written: %s", to, strerror(errno));
}

/* Puts the finished files where they were asked for; the manifest comes last. */
static int install(const generation *g, folder_state state)
{
    const char *out = g->o->out;
    char from[PATH + 300], to[PATH + 300];
    if (state == FOLDER_NEW) return move(g->folder, out);
    int status = state == FOLDER_GOLDEN ? remove_old(out) : 0;
    for (size_t i = 0; i < 2 * g->count && status == 0; i++) {
        case_file(from, g->folder, g->items[i / 2].name, i % 2 ? "expected" : "prompt");
        case_file(to, out, g->items[i / 2].name, i % 2 ? "expected" : "prompt");
        status = move(from, to);
    }
    snprintf(from, sizeof from, "%s/manifest.json", g->folder);
    snprintf(to, sizeof to, "%s/manifest.json", out);
    return status ? status : move(from, to);
}

static int write_all(generation *g, const name_list *suites, folder_state state)
{
    int signal_number = 0, status = make_folder(g, state);
    if (status != 0) return status;
    status = jobs_run(g->o->jobs, g->count, "gen", generate, g, &signal_number);
    if (status == 0) status = write_manifest(g, suites);
    if (status == 0) status = install(g, state);
    remove_folder(g->folder);
    work_scratch(NULL);
    if (status < 0) jobs_die(signal_number);
    return status;
}

/* --- the stream -------------------------------------------------------------------------------------------------- */

static void write_words(FILE *f, const char *field, const name_list *list)
{
    fprintf(f, ", \"%s\": [", field);
    for (size_t i = 0; i < list->count; i++) fprintf(f, "%s\"%s\"", i ? ", " : "", list->name[i]);
    fprintf(f, "]");
}

void gen_stream_header(FILE *f, const gen_options *o)
{
    op_list ops = o->ops;
    if (ops.count > 0) cli_sort_ops(&ops);
    fprintf(f, "{\"smoeref\": \"%s\", \"stream\": %d, \"seed\": %llu, \"operations\": [", cli_version, STREAM_VERSION,
            (unsigned long long)o->seed);
    for (size_t i = 0; i < ops.count; i++) fprintf(f, "%s\"%s\"", i ? ", " : "", ops.op[i]->id);
    fprintf(f, "]");
    write_words(f, "suites", &o->suites);
    fprintf(f, ", \"where\": [");
    for (size_t i = 0; i < o->where.count; i++) fprintf(f, "%s\"%s\"", i ? ", " : "", o->where.text[i]);
    fprintf(f, "], \"defaults\": %s", o->where.defaults ? "true" : "false");
}

static int write_line(const gen_options *o, const item *it)
{
    char err[400];
    op_case *c = op_case_from_spec(it->op, it->spec, o->seed, err, sizeof err);
    if (!c) return cli_input("%s: %s", it->name, err);
    const int status = stream_write_prompt(stdout, c, it->name) == 0 ? 0 : cli_input("out of memory");
    op_case_free(c);
    return status;
}

/* A first line with what makes the cases again, then the cases. */
static int write_stream(gen_options *o)
{
    generation g = {.o = o};
    op_list ops = o->ops;
    cli_sort_ops(&ops);
    if (o->suites.count == 0) o->suites = (name_list){.name = {"core"}, .count = 1};
    int status = collect(&g, &ops, &o->suites);
    if (status == 0) {
        gen_stream_header(stdout, o);
        printf(", \"cases\": %zu}\n", g.count);
    }
    for (size_t i = 0; i < g.count && status == 0 && !ferror(stdout); i++) status = write_line(o, &g.items[i]);
    free(g.items);
    return status;
}

/* --- the command ------------------------------------------------------------------------------------------------- */

gen_options gen_defaults(void)
{
    gen_options o = {.command = &command, .seed = 1, .precision = {.name = {"f64", "f32", "bf16"}, .count = 3}};
    return o;
}

/* replaced: the folder held golden cases before. */
static int gen_counted(const gen_options *o, size_t *count, bool *replaced)
{
    generation g = {.o = o};
    op_list ops = o->ops;
    name_list suites = o->suites;
    folder_state state = FOLDER_NEW;
    cli_sort_ops(&ops);
    if (suites.count == 0 && !o->text) suites = (name_list){.name = {"core"}, .count = 1};
    int status = collect(&g, &ops, &suites);
    if (status == 0 && o->text) status = read_text(&g);
    if (status == 0) status = inspect_folder(o->out, &state);
    if (status == 0) status = write_all(&g, &suites, state);
    *count = g.count;
    *replaced = state == FOLDER_GOLDEN;
    free(g.text);
    free(g.items);
    return status;
}

int gen_cases(const gen_options *o)
{
    size_t count;
    bool replaced;
    return gen_counted(o, &count, &replaced);
}

static int parse(cli *p, gen_options *o)
{
    const char *value;
    int status = 0;
    bool bounds = false;
    for (int option; status == 0 && (option = cli_next(p, &value)) != CLI_END;) {
        switch (option) {
        case CLI_STOP:
            return p->status;
        case OPTION_OUT:
            o->out = value;
            break;
        case OPTION_STREAM:
            o->stream = true;
            break;
        case OPTION_SUITE:
            status = cli_parse_suites(&command, &o->suites, value);
            break;
        case OPTION_PRECISION:
            bounds = true;
            status = cli_parse_precisions(&command, &o->precision, value);
            o->no_twin = o->precision.count == 0;
            break;
        case OPTION_TEXT:
            o->text = value;
            break;
        case OPTION_WHERE:
            status = cli_add_where(&command, &o->where, value);
            break;
        case OPTION_DEFAULTS:
            o->where.defaults = true;
            break;
        case OPTION_BREAK:
            o->spoil = value;
            break;
        case OPTION_JOBS:
            status = cli_parse_jobs(&command, &o->jobs, value);
            break;
        case OPTION_SEED:
            if (!cli_parse_seed(value, &o->seed))
                status = cli_usage(&command, "--seed is '%.40s', expected a number from 0 to 2^53 - 1", value);
            break;
        default:
            status = cli_add_ops(&command, &o->ops, value);
        }
    }
    if (status == 0 && o->stream && (o->out || o->text || bounds))
        status =
            cli_usage(&command, "--stream writes prompts to standard output: no --out, --precision or --text with it");
    if (status == 0 && !o->stream && (!o->out || !*o->out))
        status = cli_usage(&command, "--out DIR is missing, or --stream");
    if (status == 0) status = cli_check_where(&command, &o->where, &o->ops);
    return status ? status : -1;
}

int cmd_gen(int argc, char **argv)
{
    cli p = cli_start(&command, argc, argv);
    gen_options o = gen_defaults();
    size_t count = 0;
    bool replaced = false;
    int status = parse(&p, &o);
    if (status >= 0) return status;
    if (o.stream) return write_stream(&o);
    status = gen_counted(&o, &count, &replaced);
    if (status == 0)
        printf("%s: %zu case%s%s\n", o.out, count, count == 1 ? "" : "s",
               replaced ? ", in place of those that were there" : "");
    return status;
}
