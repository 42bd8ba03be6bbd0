/* The smoeref command: arguments, messages and exit statuses.  Each subcommand is a cmd_*.c. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gmp.h>
#include <gsl/gsl_version.h>
#include <jansson.h>
#include <mpfr.h>

#include "cmd.h"
#include "manifest.h"
#include "twin.h"
#include "work.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "0.1.0"
#endif
const char cli_version[] = PACKAGE_VERSION;

static const struct {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"list", "the operations, with their tensors, parameters and known wrong variants", cmd_list},
    {"explain", "one operation: formula, source, certainty, where the code is", cmd_explain},
    {"variants", "the known wrong variants that a failing answer is compared with", cmd_variants},
    {"eval", "evaluate an operation, and its gradients, on your own inputs", cmd_eval},
    {"gen", "write golden cases: prompts, expected values, bounds", cmd_gen},
    {"vectors", "verify that golden cases are what they were when they were written", cmd_vectors},
    {"diff", "judge a folder of answers against golden cases", cmd_diff},
    {"ver", "judge the answers that come through a pipe from smoeref gen --stream", cmd_ver},
    {"check", "generate cases, run your program on each, judge its answers", cmd_check},
    {"gradcheck", "check the reference's own gradients by three other methods", cmd_gradcheck},
    {"cka", "how similar the experts or layers in your own dumps are", cmd_cka},
    {"rates", "the rates of convergence of estimators of competition-gated mixtures, measured", cmd_rates},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

/* --- messages ---------------------------------------------------------------------------------------------------- */

int cli_usage(const cli_command *command, const char *format, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    fprintf(stderr, "smoeref %s: %s (see smoeref %s --help)\n", command->name, text, command->name);
    return STATUS_USAGE;
}

int cli_input(const char *format, ...)
{
    char text[2048];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    fprintf(stderr, "smoeref: %s\n", text);
    return STATUS_INPUT;
}

/* The number of insertions, deletions and substitutions that turn a into b. */
static size_t edit_distance(const char *a, const char *b)
{
    enum { longest = 64 };
    const size_t n = strlen(a), m = strlen(b);
    size_t row[longest + 1];
    if (n > longest || m > longest) return longest;
    for (size_t j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[m];
}

const char *cli_nearest(const char *word, const char *const *candidates)
{
    const char *nearest = NULL;
    size_t least = strlen(word) / 3 + 2; /* further away is another word */
    for (; *candidates; candidates++) {
        const size_t d = edit_distance(word, *candidates);
        if (d < least) {
            least = d;
            nearest = *candidates;
        }
    }
    return nearest;
}

/* " (did you mean 'gate.linear'?)", or nothing. */
static const char *suggestion(const char *word, const char *const *candidates, char text[128])
{
    const char *nearest = cli_nearest(word, candidates);
    text[0] = '\0';
    if (nearest) snprintf(text, 128, "; did you mean '%s'?", nearest);
    return text;
}

bool cli_colour(FILE *f)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(fileno(f)) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

/* --- options ----------------------------------------------------------------------------------------------------- */

static int print_version(void)
{
    printf("smoeref %s\n", cli_version);
#ifdef __clang__
    printf("compiler    clang %s\n", __clang_version__);
#elif defined __GNUC__
    printf("compiler    gcc %s\n", __VERSION__);
#endif
    printf("arithmetic  IEEE binary64, FLT_EVAL_METHOD %d, long double with a %d-bit significand\n",
           (int)FLT_EVAL_METHOD, LDBL_MANT_DIG);
#if defined __x86_64__
    __builtin_cpu_init();
    printf("processor   x86-64%s%s%s\n", __builtin_cpu_supports("fma") ? ", FMA" : "",
           __builtin_cpu_supports("avx2") ? ", AVX2" : "", __builtin_cpu_supports("avx512f") ? ", AVX-512" : "");
#endif
    printf("products    by the %s kernel (all kernels give the same bits)\n", smoe_matmul_kernel(0));
    printf("libraries   GSL %s, MPFR %s, GMP %s, jansson %s\n", gsl_version, mpfr_get_version(), gmp_version,
           JANSSON_VERSION);
    const char *what = NULL;
    printf("self-test   %s\n", smoe_selftest(&what) == SMOE_OK ? "passed" : what);
    return STATUS_PASS;
}

static const char exit_statuses[] = "Exit status: 0 all pass, 1 a verdict failed, 2 usage, 3 an input file is "
                                    "unusable, or an output cannot be written,\n"
                                    "4 the environment breaks the numerics policy.\n";

static int print_command_help(const cli_command *c)
{
    printf("usage: smoeref %s %s\n\n%s\n\n", c->name, c->synopsis, c->summary);
    for (const cli_option *o = c->option; o->name; o++) {
        char left[64];
        if (!o->help) continue;
        snprintf(left, sizeof left, "%s%s%s", o->name, o->argument ? " " : "", o->argument ? o->argument : "");
        printf("  %-26s %s\n", left, o->help);
    }
    printf("  %-26s %s\n  %-26s %s\n", "--help", "print this and exit", "--version",
           "print version, compiler and floating-point facts and exit");
    printf("\n%s", exit_statuses);
    return STATUS_PASS;
}

cli cli_start(const cli_command *command, int argc, char **argv)
{
    return (cli){.command = command, .argc = argc, .at = 1, .argv = argv};
}

static int stop(cli *p, int status)
{
    p->status = status;
    return CLI_STOP;
}

static int unknown_option(cli *p, const char *word)
{
    const char *names[64];
    char text[128];
    size_t n = 0;
    for (const cli_option *o = p->command->option; o->name && n < 61; o++)
        if (o->help) names[n++] = o->name;
    names[n++] = "--help";
    names[n++] = "--version";
    names[n] = NULL;
    return stop(p, cli_usage(p->command, "unknown option '%.80s'%s", word, suggestion(word, names, text)));
}

int cli_next(cli *p, const char **value)
{
    *value = NULL;
    if (p->at >= p->argc) return CLI_END;
    const char *word = p->argv[p->at++];
    if (!p->only_words && strcmp(word, "--") == 0) {
        p->only_words = true;
        return cli_next(p, value);
    }
    if (p->only_words || word[0] != '-' || word[1] == '\0') {
        *value = word;
        return CLI_WORD;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) return stop(p, print_command_help(p->command));
    if (strcmp(word, "--version") == 0) return stop(p, print_version());
    const size_t len = strcspn(word, "=");
    for (int i = 0; p->command->option[i].name; i++) {
        const cli_option *o = &p->command->option[i];
        if (strlen(o->name) != len || strncmp(o->name, word, len) != 0) continue;
        if (!o->argument && word[len] == '=') return stop(p, cli_usage(p->command, "%s takes no value", o->name));
        if (!o->argument) return i;
        if (word[len] != '=' && p->at >= p->argc)
            return stop(p, cli_usage(p->command, "%s needs a value: %s", o->name, o->argument));
        *value = word[len] == '=' ? word + len + 1 : p->argv[p->at++];
        return i;
    }
    return unknown_option(p, word);
}

/* --- values of options ------------------------------------------------------------------------------------------- */

static void add_op(op_list *list, const op_record *op, bool by_name)
{
    size_t i = 0;
    while (i < list->count && list->op[i] != op) i++;
    if (i == sizeof list->op / sizeof *list->op) return;
    if (i == list->count) {
        list->op[list->count++] = op;
        list->by_name[i] = false;
    }
    list->by_name[i] |= by_name;
}

/* The operation of a word that is a case's name, such as gate.weights.random; NULL if it is none. */
static const op_record *op_of_case(const char *word)
{
    for (size_t i = 0; op_registry[i]; i++) {
        const size_t n = strlen(op_registry[i]->id);
        if (strncmp(word, op_registry[i]->id, n) != 0 || word[n] != '.') continue;
        for (const op_spec *s = op_registry[i]->cases; s && s->name; s++)
            if (strcmp(s->name, word + n + 1) == 0) return op_registry[i];
    }
    return NULL;
}

/* The operation of which the word is the end, if there is just one: balance.switch for switch. */
static const op_record *op_that_ends_in(const char *word)
{
    const op_record *found = NULL;
    for (size_t i = 0; op_registry[i]; i++) {
        const size_t n = strlen(op_registry[i]->id), end = strlen(word);
        if (end >= n || op_registry[i]->id[n - end - 1] != '.' || strcmp(op_registry[i]->id + n - end, word) != 0)
            continue;
        if (found) return NULL;
        found = op_registry[i];
    }
    return found;
}

int cli_add_ops(const cli_command *command, op_list *list, const char *word)
{
    const char *ids[sizeof list->op / sizeof *list->op + 1];
    char text[128];
    const size_t len = strlen(word);
    const bool exact = op_find(word) != NULL; /* gate.dropout is itself, not gate.dropout.schedule too */
    bool found = false;
    size_t n = 0;
    for (; op_registry[n] && n < sizeof list->op / sizeof *list->op; n++) {
        const char *id = ids[n] = op_registry[n]->id;
        if (exact ? strcmp(id, word) != 0 : strncmp(id, word, len) != 0 || id[len] != '.') continue;
        add_op(list, op_registry[n], exact);
        found = true;
    }
    ids[n] = NULL;
    if (found) return 0;
    const op_record *near = op_of_case(word);
    if (near)
        return cli_usage(command, "'%.80s' is a case of %s: --where case=%.80s", word, near->id,
                         word + strlen(near->id) + 1);
    near = op_that_ends_in(word);
    if (near) return cli_usage(command, "unknown operation '%.80s'; did you mean '%s'?", word, near->id);
    return cli_usage(command, "unknown operation '%.80s'%s", word, suggestion(word, ids, text));
}

void cli_sort_ops(op_list *list)
{
    op_list sorted = {.count = 0};
    for (size_t i = 0; op_registry[i]; i++) {
        if (list->count == 0) add_op(&sorted, op_registry[i], false);
        for (size_t j = 0; j < list->count; j++)
            if (list->op[j] == op_registry[i]) add_op(&sorted, op_registry[i], list->by_name[j]);
    }
    *list = sorted;
}

/* --- --where ----------------------------------------------------------------------------------------------------- */

int cli_add_where(const cli_command *command, where_list *list, const char *text)
{
    const char *equals = strchr(text, '=');
    bool bad = !equals || equals == text || equals[1] == '\0';
    for (const char *p = equals; p && !bad; p = strchr(p + 1, '|')) bad = p[1] == '|' || p[1] == '\0';
    if (bad) return cli_usage(command, "--where is '%.80s', expected NAME=VALUE or NAME=VALUE|VALUE...", text);
    if (list->count == sizeof list->text / sizeof *list->text) return cli_usage(command, "--where: too many");
    list->text[list->count++] = text;
    return 0;
}

/* The length of the name in "NAME=VALUE|VALUE". */
static size_t name_length(const char *where) { return (size_t)(strchr(where, '=') - where); }

/* Is the text of n bytes the value of len bytes?  Numbers are compared as numbers. */
static bool is_value(const char *value, size_t len, const char *text, size_t n)
{
    char mine[64], theirs[64], *end, *other_end;
    if (len == n && strncmp(value, text, n) == 0) return true;
    snprintf(mine, sizeof mine, "%.*s", (int)n, text);
    snprintf(theirs, sizeof theirs, "%.*s", (int)len, value);
    const double a = strtod(mine, &end), b = strtod(theirs, &other_end);
    return *mine && *theirs && *end == '\0' && *other_end == '\0' && !(a < b) && !(a > b);
}

/* Is the text of n bytes among the values "A|B|C"? */
static bool among(const char *values, const char *text, size_t n)
{
    for (const char *p = values;; p++) {
        const size_t len = strcspn(p, "|");
        if (is_value(p, len, text, n)) return true;
        p += len;
        if (*p == '\0') return false;
    }
}

static const op_param *find_param(const op_record *op, const char *name, size_t n)
{
    for (const op_param *p = op->param; p && p->name; p++)
        if (strlen(p->name) == n && strncmp(p->name, name, n) == 0) return p;
    return NULL;
}

/* Is the text of n bytes a number that the parameter may have? */
static bool is_number(const op_param *p, const char *text, size_t n)
{
    char copy[64], *end;
    if (n == 0 || n >= sizeof copy) return false;
    snprintf(copy, sizeof copy, "%.*s", (int)n, text);
    const double x = strtod(copy, &end);
    return *end == '\0' && isfinite(x) && (p->type == OP_REAL || x == floor(x));
}

/* May some operation's parameter of this name have the value? */
static bool possible(const op_list *ops, const char *name, size_t n, const char *value, size_t len)
{
    for (size_t i = 0; i < ops->count; i++) {
        const op_param *p = find_param(ops->op[i], name, n);
        if (p && (p->type == OP_CHOICE ? among(p->values, value, len) : is_number(p, value, len))) return true;
    }
    return false;
}

/* "without=FLAG|FLAG" is a condition on the flags of a case. */
static bool is_without(const char *where) { return strncmp(where, "without=", 8) == 0; }

/* "case=NAME|NAME" is a condition on the name of a case. */
static bool is_case(const char *where) { return strncmp(where, "case=", 5) == 0; }

static bool has_flag(const op_spec *s, const char *flag, size_t n) { return op_in_list(s->flags, flag, n); }

static bool has_name(const op_spec *s, const char *name, size_t n)
{
    return strlen(s->name) == n && strncmp(s->name, name, n) == 0;
}

/* Is each word of "without=A|B" or "case=A|B" something that a case of these operations has? */
static int check_words(const cli_command *command, const char *where, const op_list *ops,
                       bool (*has)(const op_spec *, const char *, size_t), const char *lacking)
{
    for (const char *p = where + name_length(where); *p;) {
        const size_t len = strcspn(++p, "|");
        bool any = false;
        for (size_t i = 0; i < ops->count; i++)
            for (const op_spec *s = ops->op[i]->cases; s && s->name; s++) any = any || has(s, p, len);
        if (!any)
            return cli_usage(command, "--where %.80s: %s '%.*s'", where, lacking, len < 60 ? (int)len : 60, p);
        p += len;
    }
    return 0;
}

static bool meets_without(const char *where, const char *flags)
{
    for (const char *p = where + strlen("without"); *p;) {
        const size_t len = strcspn(++p, "|");
        if (op_in_list(flags, p, len)) return false;
        p += len;
    }
    return true;
}

static int check_one_where(const cli_command *command, const char *where, const op_list *ops)
{
    const size_t n = name_length(where);
    if (is_without(where))
        return check_words(command, where, ops, has_flag, "no case of these operations has the flag");
    if (is_case(where)) return check_words(command, where, ops, has_name, "these operations have no case");
    const op_param *found = NULL;
    for (size_t i = 0; i < ops->count && !found; i++) found = find_param(ops->op[i], where, n);
    if (!found)
        return cli_usage(command, "--where %.80s: none of these operations has a parameter '%.*s'", where,
                         n < 60 ? (int)n : 60, where);
    for (const char *p = where + n; *p;) {
        const size_t len = strcspn(++p, "|");
        if (!possible(ops, where, n, p, len))
            return cli_usage(command, "--where %.80s: %s is never '%.*s', expected %s", where, found->name,
                             len < 60 ? (int)len : 60, p,
                             found->type == OP_CHOICE ? found->values
                             : found->type == OP_INT  ? "a whole number"
                                                      : "a number");
        p += len;
    }
    return 0;
}

int cli_check_where(const cli_command *command, const where_list *list, const op_list *ops)
{
    op_list all = *ops;
    int status = 0;
    cli_sort_ops(&all);
    for (size_t i = 0; i < list->count && status == 0; i++) status = check_one_where(command, list->text[i], &all);
    return status;
}

/* The end of an item of "k=2,order=topk-softmax"; *name is its length up to the '='. */
static const char *item_end(const char *item, size_t *name)
{
    *name = strcspn(item, "=,");
    return item + strcspn(item, ",");
}

/* Has every parameter of "k=2,order=topk-softmax" its default: a number, or the first of the choices? */
static bool all_default(const op_record *op, const char *set)
{
    size_t n;
    for (const char *p = set, *end; *p; p = end + (*end == ',')) {
        end = item_end(p, &n);
        const op_param *param = find_param(op, p, n);
        if (!param || p + n >= end) return false;
        if (!is_value(param->values, strcspn(param->values, "|"), p + n + 1, (size_t)(end - p) - n - 1)) return false;
    }
    return true;
}

/* Has the parameter of "k=2|3", if it is in the set, one of these values? */
static bool meets(const char *where, const char *set)
{
    const size_t length = name_length(where);
    size_t n;
    for (const char *p = set, *end; *p; p = end + (*end == ',')) {
        end = item_end(p, &n);
        if (n != length || strncmp(p, where, n) != 0) continue;
        if (!among(where + n + 1, p + n + 1, (size_t)(end - p) - n - 1)) return false;
    }
    return true;
}

bool cli_where(const where_list *list, const op_record *op, const char *name, const char *parameters, const char *flags)
{
    char err[256], *set = NULL;
    const size_t id = strlen(op->id);
    if (strncmp(name, op->id, id) == 0 && name[id] == '.') name += id + 1;
    if (list->count == 0 && !list->defaults) return true;
    if (manifest_parameters_to_set("parameters", parameters, &set, err, sizeof err) != 0) return true; /* told later */
    bool keep = !list->defaults || (all_default(op, set) && !op_in_list(flags, "mask", 4));
    for (size_t i = 0; i < list->count; i++)
        keep = keep && (is_without(list->text[i]) ? meets_without(list->text[i], flags)
                        : is_case(list->text[i])  ? among(list->text[i] + 5, name, strlen(name))
                                                  : meets(list->text[i], set));
    free(set);
    return keep;
}

const char *cli_where_leaves(const where_list *list)
{
    if (list->count > 0 && list->defaults) return " that --where and --defaults leave";
    return list->count > 0 ? " that --where leaves" : list->defaults ? " that --defaults leaves" : "";
}

bool cli_parse_seed(const char *text, uint64_t *seed)
{
    char *end;
    if (*text < '0' || *text > '9') return false;
    errno = 0;
    const unsigned long long n = strtoull(text, &end, 10);
    *seed = n;
    return *end == '\0' && errno == 0 && n < 1ULL << 53;
}

/* Adds each item of a comma-separated list that is among the candidates. */
static int add_names(const cli_command *command, name_list *list, const char *text, const char *what,
                     const char *const *candidates)
{
    for (const char *p = text;; p++) {
        char item[32], near[128];
        const size_t len = strcspn(p, ",");
        snprintf(item, sizeof item, "%.*s", (int)len, p);
        size_t i = 0;
        while (candidates[i] && strcmp(candidates[i], item) != 0) i++;
        if (!candidates[i])
            return cli_usage(command, "unknown %s '%s'%s", what, item, suggestion(item, candidates, near));
        size_t j = 0;
        while (j < list->count && list->name[j] != candidates[i]) j++;
        if (j == list->count) list->name[list->count++] = candidates[i];
        p += len;
        if (*p == '\0') return 0;
    }
}

int cli_parse_precisions(const cli_command *command, name_list *list, const char *text)
{
    const char *known[9];
    size_t n = 0;
    for (; twin_profiles[n].name && n < 8; n++) known[n] = twin_profiles[n].name;
    known[n] = NULL;
    list->count = 0;
    return strcmp(text, "none") == 0 ? 0 : add_names(command, list, text, "precision", known);
}

int cli_parse_suites(const cli_command *command, name_list *list, const char *text)
{
    static const char *const known[] = {"smoke", "core", "adversarial", "large", NULL};
    return add_names(command, list, text, "suite", known);
}

bool cli_in_suites(const name_list *suites, const op_spec *spec)
{
    for (size_t i = 0; i < suites->count; i++)
        if (op_in_suite(spec, suites->name[i])) return true;
    return false;
}

int cli_parse_jobs(const cli_command *command, int *jobs, const char *text)
{
    char *end;
    const long n = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || n < 1 || n > 1024)
        return cli_usage(command, "--jobs is '%.40s', expected a number from 1 to 1024", text);
    *jobs = (int)n;
    return 0;
}

bool cli_no_memory(const char *message) { return strstr(message, "out of memory") != NULL; }

/* --- files ------------------------------------------------------------------------------------------------------- */

static int write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        const ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return -1;
        p += done;
        n -= (size_t)done;
    }
    return 0;
}

int cli_writable(const char *path, char *err, size_t errlen)
{
    struct stat s;
    const bool there = stat(path, &s) == 0;
    int bad = there && S_ISDIR(s.st_mode) ? EISDIR : 0;
    if (there && !bad && !S_ISREG(s.st_mode)) { /* a device or a pipe is written to as it is */
        bad = access(path, W_OK) == 0 ? 0 : errno;
    } else if (!bad) {
        const char *slash = strrchr(path, '/');
        char *folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
        bad = !folder ? ENOMEM : stat(folder, &s) != 0 ? errno : !S_ISDIR(s.st_mode) ? ENOTDIR : 0;
        if (!bad && access(folder, W_OK | X_OK) != 0) bad = errno;
        free(folder);
    }
    if (bad) snprintf(err, errlen, "%s: cannot write: %s", path, strerror(bad));
    return bad ? -1 : 0;
}

int cli_write_file(const char *path, const void *bytes, size_t n, char *err, size_t errlen)
{
    struct stat s;
    /* A device or a pipe cannot be replaced; it is written to. */
    const bool special = stat(path, &s) == 0 && !S_ISREG(s.st_mode);
    char *temporary = NULL;
    if (asprintf(&temporary, special ? "%s" : "%s.%ld.tmp", path, (long)getpid()) < 0) {
        snprintf(err, errlen, "%s: out of memory", path);
        return -1;
    }
    const int fd = open(temporary, special ? O_WRONLY : O_WRONLY | O_CREAT | O_TRUNC, 0666);
    int bad = fd < 0 ? errno : 0;
    if (fd >= 0 && write_all(fd, bytes, n) != 0) bad = errno;
    if (fd >= 0 && close(fd) != 0 && !bad) bad = errno;
    if (!special && !bad && rename(temporary, path) != 0) bad = errno;
    if (bad && !special && fd >= 0) unlink(temporary);
    if (bad) snprintf(err, errlen, "%s: cannot write: %s", path, strerror(bad));
    free(temporary);
    return bad ? -1 : 0;
}

/* --- the command ------------------------------------------------------------------------------------------------- */

static int print_help(FILE *f)
{
    fprintf(f, "usage: smoeref COMMAND [ARGUMENT ...]\n\n"
               "The golden reference for sparse mixture-of-experts training: checks your implementation of a layer, a "
               "loss or\n"
               "a router, forward and backward, in your precision, and says what is wrong with it.\n\n");
    for (size_t i = 0; i < COMMANDS; i++) fprintf(f, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fprintf(f,
            "\nsmoeref COMMAND --help has the options.  To begin:\n"
            "  smoeref check layer.smoe --exec 'python3 mine.py {prompt} {answer}' --precision f32\n\n%s",
            exit_statuses);
    return f == stdout ? STATUS_PASS : STATUS_USAGE;
}

/* Output that could not be written must not look like success. */
static int finish(int status)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        cli_input("standard output: cannot write: %s", strerror(errno));
        return status ? status : STATUS_INPUT;
    }
    return status;
}

int main(int argc, char **argv)
{
    work_guard_memory();
    signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is an error to report, not a death in the middle of a file */
    if (argc < 2) return print_help(stderr);
    const char *word = argv[1], *names[COMMANDS + 1], *what = NULL;
    char text[128], help[] = "--help";
    char *asked[] = {NULL, NULL, help, NULL};
    if (strcmp(word, "help") == 0 && argc > 2) { /* smoeref help check: smoeref check --help */
        word = asked[1] = argv[2];
        argv = asked;
        argc = 3;
    }
    if (strcmp(word, "--version") == 0) return finish(print_version());
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0)
        return finish(print_help(stdout));
    if (smoe_selftest(&what) != SMOE_OK) {
        fprintf(stderr, "smoeref: the environment breaks the numerics policy: %s\n", what);
        return STATUS_ENVIRONMENT;
    }
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(word, commands[i].name) == 0) return finish(commands[i].run(argc - 1, argv + 1));
        names[i] = commands[i].name;
    }
    names[COMMANDS] = NULL;
    fprintf(stderr, "smoeref: unknown command '%.80s'%s (see smoeref --help)\n", word, suggestion(word, names, text));
    return STATUS_USAGE;
}
