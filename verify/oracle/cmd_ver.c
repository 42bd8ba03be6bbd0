/* smoeref ver: answers that come through a pipe, judged as `diff` judges a folder of them. */
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "judge.h"
#include "stream.h"
#include "work.h"

enum { PATH = 4096, ERROR = TENSOR_ERROR, OPTION_SUITE = JUDGE_NEXT, OPTION_SEED };

static const cli_option options[] = {
    JUDGE_OPTIONS,
    {"--suite", "SUITE", "the suites that the stream must be of; may be repeated"},
    {"--seed", "S", "the seed that it must be of"},
    {NULL, NULL, NULL},
};

static const cli_command command = {
    "ver",
    "[OP ...] [--precision P] [--report FILE] [--suite SUITE] [--seed S] [--where NAME=VALUE]",
    "Judges the answers on standard input, as in  smoeref gen --stream OP | program | smoeref ver.  The program passes "
    "the\n"
    "first line on as it is and writes one line for each case, {\"name\": NAME, \"tensors\": {TENSOR: {\"dtype\": "
    "\"F64\",\n"
    "\"shape\": [2, 3], \"data\": [...]}}}.  What is golden is computed here, from the first line.  OP, --suite, "
    "--seed, --where\n"
    "or --defaults, if there are any, must be what gen was told: then the program cannot have changed it.",
    options,
};

/* --- lines --------------------------------------------------------------------------------------------------- */

typedef struct {
    char *text; /* the line, of n bytes */
    size_t n, number; /* counted from 1 */
    char chunk[1 << 16];
    size_t at, have;
} lines;

/* Says what is wrong with the line; STATUS_INPUT. */
__attribute__((format(printf, 2, 3))) static int refuse(const lines *l, const char *format, ...)
{
    char what[ERROR];
    va_list ap;
    va_start(ap, format);
    vsnprintf(what, sizeof what, format, ap);
    va_end(ap);
    return cli_input("standard input, line %zu: %s", l->number, what);
}

static int fill(lines *l)
{
    ssize_t got;
    do got = read(STDIN_FILENO, l->chunk, sizeof l->chunk);
    while (got < 0 && errno == EINTR && !work_caught);
    if (work_caught) return -1;
    if (got < 0) return cli_input("standard input: cannot be read: %s", strerror(errno));
    l->at = 0;
    l->have = (size_t)got;
    return 0;
}

/* The next line that is not blank, or *end.  0, an exit status, or -1 if interrupted. */
static int next_line(lines *l, bool *end)
{
    bool blank = true;
    l->n = 0;
    l->number++;
    for (*end = false; !*end;) {
        int status = l->at == l->have ? fill(l) : 0;
        if (status != 0) return status;
        if (l->have == 0) {
            *end = blank;
            return 0;
        }
        const char c = l->chunk[l->at++];
        if (c == '\n' && !blank) return 0;
        if (c == '\n') l->number++;
        if (c == '\n') l->n = 0;
        if (c == '\n') continue;
        if (l->n == STREAM_LINE) return refuse(l, "longer than %d MiB", STREAM_LINE >> 20);
        l->text[l->n++] = c;
        blank = blank && strchr(" \t\r", c) && c;
    }
    return 0;
}

/* --- the first line ------------------------------------------------------------------------------------------ */

typedef struct {
    judge_options judge;
    gen_options gen; /* what the cases are made from */
    bool told; /* by the command line too */
    json_t *first; /* what gen.where points into */
    double cases;
    char base[3000]; /* the folder of this run */
} ver;

/* Words of printable ASCII without quotes, so that whatever is said about them stays one line. */
static bool is_words(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *s = json_string_value(json_array_get(list, i));
        if (!s || !*s || strlen(s) > 200) return false;
        for (; *s; s++)
            if (*s < 0x20 || *s > 0x7e || *s == '"' || *s == '\\') return false;
    }
    return json_is_array(list);
}

static bool whole(const json_t *j, double most)
{
    const double x = json_real_value(j);
    return json_is_real(j) && x >= 0 && x <= most && x == (double)(uint64_t)x;
}

/* The text of the first line for these options; malloc'd, NULL out of memory. */
static char *header_of(const gen_options *g)
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    if (!f) return NULL;
    gen_stream_header(f, g);
    if (fclose(f) == 0) return text;
    free(text);
    return NULL;
}

/* Options from the fields of the first line.  0, or a status after a line was printed. */
static int take_fields(gen_options *g, json_t *j, double *cases)
{
    const json_t *operations = json_object_get(j, "operations"), *suites = json_object_get(j, "suites"),
                 *where = json_object_get(j, "where"), *seed = json_object_get(j, "seed"),
                 *defaults = json_object_get(j, "defaults"), *count = json_object_get(j, "cases");
    int status = 0;
    if (json_object_size(j) != 8 || !is_words(operations) || !is_words(suites) || !is_words(where) ||
        !json_is_boolean(defaults) || !whole(seed, (double)MANIFEST_SEED_MAX) || !whole(count, 1e6))
        return cli_input("standard input: expected the first line of smoeref gen --stream as it is");
    for (size_t i = 0; i < json_array_size(operations) && status == 0; i++)
        status = cli_add_ops(&command, &g->ops, json_string_value(json_array_get(operations, i)));
    for (size_t i = 0; i < json_array_size(suites) && status == 0; i++)
        status = cli_parse_suites(&command, &g->suites, json_string_value(json_array_get(suites, i)));
    for (size_t i = 0; i < json_array_size(where) && status == 0; i++)
        status = cli_add_where(&command, &g->where, json_string_value(json_array_get(where, i)));
    g->where.defaults = json_is_true(defaults);
    g->seed = (uint64_t)json_real_value(seed);
    *cases = json_real_value(count);
    return status ? status : cli_check_where(&command, &g->where, &g->ops);
}

/* Does the stream have the cases that the command line asks for?  0, or STATUS_INPUT. */
static int compare_headers(const lines *l, const gen_options *asked, const gen_options *got)
{
    char *a = header_of(asked), *b = header_of(got);
    int status = a && b ? 0 : cli_input("out of memory");
    if (status == 0 && strcmp(a, b) != 0)
        status = refuse(l, "the stream is not what ver was told: it has {%.180s}, expected {%.180s}",
                        strstr(b, "\"seed\""), strstr(a, "\"seed\""));
    free(a);
    free(b);
    return status;
}

static int read_first(ver *v, lines *l)
{
    char err[ERROR], quoted[TENSOR_QUOTED];
    bool end;
    int status = next_line(l, &end);
    if (status != 0) return status;
    if (end) return cli_input("standard input is empty: the program before it in the pipe wrote nothing");
    v->first = stream_parse(l->text, l->n, err, sizeof err);
    if (!v->first) return refuse(l, "expected the first line of smoeref gen --stream as it is, but it %s", err);
    const char *version = json_string_value(json_object_get(v->first, "smoeref"));
    const json_t *stream = json_object_get(v->first, "stream");
    if (!version || !json_is_real(stream) || !(json_real_value(stream) <= STREAM_VERSION))
        return refuse(l, "expected the first line of smoeref gen --stream as it is (the program must pass it on)");
    if (strcmp(version, cli_version) != 0)
        return refuse(l, "the stream is of version %s of smoeref, expected %s", tensor_quote(quoted, version),
                      cli_version);
    gen_options got = gen_defaults();
    if (take_fields(&got, v->first, &v->cases) != 0) return refuse(l, "it has been changed on its way");
    if (v->told) {
        if (v->gen.suites.count == 0) v->gen.suites = (name_list){.name = {"core"}, .count = 1};
        status = compare_headers(l, &v->gen, &got);
    }
    got.command = &command;
    got.precision = judge_stored(&v->judge);
    got.jobs = v->judge.jobs;
    v->gen = got;
    return status;
}

/* --- answers ------------------------------------------------------------------------------------------------- */

/* One answer: into the folder of answers, or a fault of its case. */
static int take_answer(const ver *v, const lines *l, const manifest *m, size_t *line_of, judge_run *runs)
{
    char err[ERROR], quoted[TENSOR_QUOTED], path[PATH + 300], *name;
    tensor_file f;
    const int read = stream_read_answer(l->text, l->n, &name, &f, err, sizeof err);
    size_t i = 0;
    int status = 0;
    while (name && i < m->cases && strcmp(m->c[i].name, name) != 0) i++;
    if (read < 0)
        status = refuse(l, "%s", err);
    else if (i == m->cases)
        status = refuse(l, "%s is none of the %zu cases of this stream", tensor_quote(quoted, name), m->cases);
    else if (line_of[i] != 0)
        status = refuse(l, "a second answer to %s, after the one of line %zu", name, line_of[i]);
    else if (read > 0 && cli_no_memory(err))
        status = cli_input("line %zu: %s", l->number, err);
    else if (read > 0)
        runs[i].fault = verdict_say("line %zu: %s", l->number, err);
    else {
        snprintf(path, sizeof path, "%s/answers/%s.safetensors", v->base, name);
        if (tensor_file_write(path, &f, err, sizeof err) != 0) status = cli_input("%s", err);
    }
    if (status == 0) line_of[i] = l->number;
    if (read == 0) tensor_file_clear(&f);
    free(name);
    return status;
}

static int take_answers(const ver *v, lines *l, const manifest *m, judge_run *runs)
{
    size_t *line_of = calloc(m->cases + 1, sizeof *line_of), answers = 0;
    int status = line_of ? 0 : cli_input("out of memory");
    for (bool end = false; status == 0;) {
        status = next_line(l, &end);
        if (status != 0 || end) break;
        status = take_answer(v, l, m, line_of, runs);
        answers++;
    }
    for (size_t i = 0; i < m->cases && status == 0; i++)
        if (line_of[i] == 0)
            runs[i].fault = verdict_say("there is no answer: the stream ended after line %zu with %zu answers to %zu "
                                        "cases",
                                        l->number - 1, answers, m->cases);
    free(line_of);
    return status;
}

/* --- the run ------------------------------------------------------------------------------------------------- */

static int judge_stream(ver *v, lines *l, manifest *m, judge_result *r)
{
    char golden[PATH], answers[PATH], path[PATH + 20], err[ERROR];
    snprintf(golden, sizeof golden, "%s/golden", v->base);
    snprintf(answers, sizeof answers, "%s/answers", v->base);
    snprintf(path, sizeof path, "%s/manifest.json", golden);
    v->gen.out = golden;
    int status = work_make_in(v->base, "answers");
    if (status == 0) status = work_generate(&v->gen);
    if (status == 0 && manifest_read(path, m, err, sizeof err) != 0) status = cli_input("%s", err);
    if (status == 0 && (double)m->cases != v->cases)
        status = refuse(l, "%.0f cases are announced, expected %zu", v->cases, m->cases);
    judge_run *runs = status == 0 ? calloc(m->cases + 1, sizeof *runs) : NULL;
    if (status == 0) status = runs ? take_answers(v, l, m, runs) : cli_input("out of memory");
    if (status == 0) status = judge_folder(&v->judge, golden, answers, m, runs, "", r);
    if (status == -1) return -1; /* threads may still be reading */
    for (size_t i = 0; runs && i < m->cases; i++) free(runs[i].fault);
    free(runs);
    return status;
}

static int run(ver *v, lines *l)
{
    judge_result r = {0};
    manifest m;
    memset(&m, 0, sizeof m);
    work_catch_signals();
    v->judge.stop = &work_caught;
    int status = read_first(v, l);
    const bool made = status == 0 && (status = work_make(NULL, v->base, sizeof v->base)) == 0;
    if (status == 0) status = judge_stream(v, l, &m, &r);
    if (made) work_remove(v->base);
    if (status == -1) jobs_die(work_caught);
    work_default_signals();
    if (status == 0) status = judge_finish(&v->judge, &r, m.suite, m.seed, 1);
    judge_result_clear(&r);
    manifest_clear(&m);
    json_decref(v->first);
    return status;
}

static int take_option(ver *v, int option, const char *value)
{
    v->told |= option == CLI_WORD || option == OPTION_SUITE || option == OPTION_SEED || option == JUDGE_WHERE ||
               option == JUDGE_DEFAULTS;
    switch (option) {
    case CLI_WORD:
        return cli_add_ops(&command, &v->gen.ops, value);
    case OPTION_SUITE:
        return cli_parse_suites(&command, &v->gen.suites, value);
    case OPTION_SEED:
        if (cli_parse_seed(value, &v->gen.seed)) return 0;
        return cli_usage(&command, "--seed is '%.40s', expected a number from 0 to 2^53 - 1", value);
    default:
        return judge_option(&v->judge, &command, option, value);
    }
}

int cmd_ver(int argc, char **argv)
{
    static ver v;
    static lines l;
    cli p = cli_start(&command, argc, argv);
    const char *value;
    int status = 0;
    v = (ver){.judge = judge_defaults(&command), .gen = gen_defaults()};
    for (int option; status == 0 && (option = cli_next(&p, &value)) != CLI_END;) {
        if (option == CLI_STOP) return p.status;
        status = take_option(&v, option, value);
    }
    v.gen.where = v.judge.where; /* what is judged is all that was generated */
    v.judge.where = (where_list){.count = 0};
    if (status == 0) status = cli_check_where(&command, &v.gen.where, &v.gen.ops);
    if (status == 0 && isatty(STDIN_FILENO))
        status =
            cli_usage(&command, "expected answers on standard input: smoeref gen --stream OP | program | smoeref ver");
    if (status == 0) status = judge_settle(&v.judge, NULL);
    if (status == 0) status = judge_prepare(&v.judge);
    if (status == 0 && !(l.text = malloc(STREAM_LINE))) status = cli_input("out of memory");
    if (status == 0) status = run(&v, &l);
    free(l.text);
    return status;
}
