/* smoeref cka: how similar are the experts, or the layers, of somebody's own model? */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cka.h"
#include "cmd.h"

enum {
    OPTION_TENSOR,
    OPTION_EXPERTS,
    OPTION_ESTIMATOR,
    OPTION_BATCH,
    OPTION_KERNEL,
    OPTION_SIGMA,
    OPTION_BANDWIDTH,
    OPTION_DIAGONAL,
    OPTION_MIDDLE,
    OPTION_MEDIAN,
    OPTION_ROUTE,
    OPTION_MEMORY,
    OPTION_BOOTSTRAP,
    OPTION_LEVEL,
    OPTION_SEED,
    OPTION_ROUTING,
    OPTION_JSON,
    OPTION_CSV,
    OPTION_PLOT
};
static const cli_option options[] = {
    [OPTION_TENSOR] = {"--tensor", "NAME", "which tensors: a name or a pattern (* ? [...]); again for more; all"},
    [OPTION_EXPERTS] = {"--experts", "WHICH", "of three dimensions, the first or the second counts the experts: first"},
    [OPTION_ESTIMATOR] = {"--estimator", "NAME", "debiased, unbiased (the same number), biased, minibatch: debiased"},
    [OPTION_BATCH] = {"--batch", "ROWS", "rows of a batch, for minibatch and the bootstrap: n/32, from 8 to 256"},
    [OPTION_KERNEL] = {"--kernel", "NAME", "linear or rbf: linear"},
    [OPTION_SIGMA] = {"--sigma", "X", "bandwidth of rbf, or what the median is multiplied with: 0.8"},
    [OPTION_BANDWIDTH] = {"--bandwidth", "RULE", "median (of the distances) or absolute: median"},
    [OPTION_DIAGONAL] = {"--diagonal", "RULE", "the median with or without the zeros of the diagonal: with"},
    [OPTION_MIDDLE] = {"--middle", "RULE", "of two middle values the mean, or the lower: mean"},
    [OPTION_MEDIAN] = {"--median", "OF", "distance, or square (the root of the median squared distance): distance"},
    [OPTION_ROUTE] = {"--route", "HOW", "auto, features (moments, linear only), gram (n x n in memory): auto"},
    [OPTION_MEMORY] = {"--memory", "SIZE", "how much may be taken, with K, M or G: 1G"},
    [OPTION_BOOTSTRAP] = {"--bootstrap", "N", "intervals from N replicates, resampling batches of rows"},
    [OPTION_LEVEL] = {"--level", "X", "of the intervals: 0.95"},
    [OPTION_SEED] = {"--seed", "S", "of the bootstrap: 1"},
    [OPTION_ROUTING] = {"--routing", "FILE[:TENSOR]", "I64 [n,K]: the experts of each sample, for shared counts"},
    [OPTION_JSON] = {"--json", "FILE", "write JSON; - for standard output, in the place of the table"},
    [OPTION_CSV] = {"--csv", "FILE", "write one line a pair"},
    [OPTION_PLOT] = {"--plot", "FILE", "draw a heat map with gnuplot, FILE.svg or FILE.png; again for another"},
    {NULL, NULL, NULL},
};
static const cli_command command = {
    "cka",
    "FILE ... [options]",
    "Measures how similar representations are: centred kernel alignment between all tensors, samples by features, of\n"
    "safetensors, .npy and .npz files. A tensor [N,n,p] is N experts. Files may be larger than the memory.",
    options,
};

enum { WORDS = 64, PLOTS = 8 };

typedef struct {
    const char *file[WORDS], *pattern[WORDS], *plot[PLOTS], *routing, *json, *csv;
    size_t files, plots;
    dump_choice choice;
    similarity_request request;
    unsigned given; /* bits of options that only some others make sense of */
} arguments;

/* --- the command line --------------------------------------------------------------------------------------------- */

/* Which of the words a value is. */
static int choose(int option, const char *value, const char *const *word, size_t *which)
{
    char list[160] = "";
    for (size_t i = 0; word[i]; i++) {
        if (strcmp(value, word[i]) == 0) {
            *which = i;
            return 0;
        }
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", word[i]);
    }
    const char *near = cli_nearest(value, word);
    return cli_usage(&command, "%s is '%.40s', expected one of %s%s%s%s", options[option].name, value, list,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static int parse_count(int option, const char *value, size_t least, size_t most, size_t *n)
{
    char *end;
    errno = 0;
    const unsigned long long v = strtoull(value, &end, 10);
    if (*value < '0' || *value > '9' || *end || errno || v < least || v > most)
        return cli_usage(&command, "%s is '%.40s', expected a number from %zu to %zu", options[option].name, value,
                         least, most);
    *n = (size_t)v;
    return 0;
}

static int parse_real(int option, const char *value, double below, double *x)
{
    char *end;
    *x = strtod(value, &end);
    if (*value == '\0' || *end || !(*x > 0 && *x < below))
        return cli_usage(&command, "%s is '%.40s', expected a number above 0%s", options[option].name, value,
                         below <= 1 ? " and below 1" : "");
    return 0;
}

/* 512M, 1G, 2GiB, or bytes. */
static int parse_size(const char *value, size_t *bytes)
{
    static const char unit[] = "KMGT";
    char *end;
    const double x = strtod(value, &end);
    const char *found = *end ? strchr(unit, *end >= 'a' && *end <= 'z' ? *end - 32 : *end) : NULL;
    double scale = 1;
    for (const char *u = unit; found && u <= found; u++) scale *= 1024;
    if (found) end++;
    if (found && strcmp(end, "iB") == 0) end += 2;
    if (*value < '0' || *value > '9' || *end || !(x * scale >= 1) || x * scale > 0x1p62)
        return cli_usage(&command, "--memory is '%.40s', expected a size such as 512M or 2G", value);
    *bytes = (size_t)(x * scale);
    return 0;
}

static int parse_estimator(arguments *a, const char *value)
{
    static const char *const word[] = {"debiased", "unbiased", "biased", "minibatch", NULL};
    static const smoe_estimator as[] = {SMOE_HSIC_DEBIASED, SMOE_HSIC_UNBIASED, SMOE_HSIC_BIASED, SMOE_HSIC_DEBIASED};
    size_t which;
    if (choose(OPTION_ESTIMATOR, value, word, &which) != 0) return STATUS_USAGE;
    a->request.how.estimator = as[which];
    a->request.minibatch = which == 3;
    return 0;
}

/* The options that choose among words. */
static int parse_word(arguments *a, int option, const char *value)
{
    static const char *const experts[] = {"first", "second", NULL}, *const kernels[] = {"linear", "rbf", NULL},
                             *const bandwidths[] = {"absolute", "median", NULL},
                             *const diagonals[] = {"with", "without", NULL}, *const middles[] = {"mean", "lower", NULL},
                             *const medians[] = {"distance", "square", NULL},
                             *const routes[] = {"auto", "features", "gram", NULL};
    const char *const *words = option == OPTION_EXPERTS     ? experts
                               : option == OPTION_KERNEL    ? kernels
                               : option == OPTION_BANDWIDTH ? bandwidths
                               : option == OPTION_DIAGONAL  ? diagonals
                               : option == OPTION_MIDDLE    ? middles
                               : option == OPTION_MEDIAN    ? medians
                                                            : routes;
    smoe_similarity *how = &a->request.how;
    size_t which;
    if (choose(option, value, words, &which) != 0) return STATUS_USAGE;
    if (option == OPTION_EXPERTS) a->choice.second = which == 1;
    if (option == OPTION_KERNEL) how->kernel = which ? SMOE_KERNEL_RBF : SMOE_KERNEL_LINEAR;
    if (option == OPTION_BANDWIDTH) how->bandwidth = which ? SMOE_BANDWIDTH_MEDIAN : SMOE_BANDWIDTH_ABSOLUTE;
    if (option == OPTION_DIAGONAL) how->diagonal = which ? SMOE_DIAGONAL_WITHOUT : SMOE_DIAGONAL_WITH;
    if (option == OPTION_MIDDLE) how->middle = which ? SMOE_MIDDLE_LOWER : SMOE_MIDDLE_MEAN;
    if (option == OPTION_MEDIAN) how->median = which ? SMOE_MEDIAN_SQUARE : SMOE_MEDIAN_DISTANCE;
    if (option == OPTION_ROUTE) a->request.route = (similarity_route)which;
    return 0;
}

static int parse_plot(arguments *a, const char *value)
{
    if (!cka_plot_format(value))
        return cli_usage(&command, "--plot is '%.80s', expected a name that ends in .svg or .png", value);
    if (a->plots == PLOTS) return cli_usage(&command, "--plot: at most %d", (int)PLOTS);
    a->plot[a->plots++] = value;
    return 0;
}

static int parse_option(arguments *a, int option, const char *value)
{
    similarity_request *q = &a->request;
    a->given |= 1u << option;
    switch (option) {
    case OPTION_TENSOR:
        if (a->choice.patterns == WORDS) return cli_usage(&command, "--tensor: at most %d", (int)WORDS);
        a->pattern[a->choice.patterns++] = value;
        return 0;
    case OPTION_ESTIMATOR:
        return parse_estimator(a, value);
    case OPTION_BATCH:
        return parse_count(option, value, 4, 1u << 20, &q->batch);
    case OPTION_SIGMA:
        return parse_real(option, value, HUGE_VAL, &q->how.sigma);
    case OPTION_MEMORY:
        return parse_size(value, &q->memory);
    case OPTION_BOOTSTRAP:
        return parse_count(option, value, 100, 1000000, &q->replicates);
    case OPTION_LEVEL:
        return parse_real(option, value, 1, &q->level);
    case OPTION_SEED:
        return cli_parse_seed(value, &q->seed)
                   ? 0
                   : cli_usage(&command, "--seed is '%.40s', expected a number from 0 to 2^53 - 1", value);
    case OPTION_ROUTING:
        a->routing = value;
        return 0;
    case OPTION_JSON:
        a->json = value;
        return 0;
    case OPTION_CSV:
        a->csv = value;
        return 0;
    case OPTION_PLOT:
        return parse_plot(a, value);
    default:
        return parse_word(a, option, value);
    }
}

/* Options that would have no effect are mistakes. */
static int check_options(const arguments *a)
{
    static const int of_rbf[] = {OPTION_SIGMA, OPTION_BANDWIDTH, OPTION_DIAGONAL, OPTION_MIDDLE, OPTION_MEDIAN},
                     of_bootstrap[] = {OPTION_LEVEL, OPTION_SEED};
    const similarity_request *q = &a->request;
    const bool rbf = q->how.kernel == SMOE_KERNEL_RBF, median = q->how.bandwidth == SMOE_BANDWIDTH_MEDIAN;
    if (a->files == 0) return cli_usage(&command, "no file");
    for (size_t i = 0; i < 5; i++)
        if ((a->given & 1u << of_rbf[i]) && (!rbf || (i > 1 && !median)))
            return cli_usage(&command, "%s makes sense with --kernel rbf%s only", options[of_rbf[i]].name,
                             rbf ? " and --bandwidth median" : "");
    for (size_t i = 0; i < 2; i++)
        if ((a->given & 1u << of_bootstrap[i]) && !q->replicates)
            return cli_usage(&command, "%s makes sense with --bootstrap only", options[of_bootstrap[i]].name);
    if (q->batch && !q->minibatch && !q->replicates)
        return cli_usage(&command, "--batch makes sense with --estimator minibatch or --bootstrap only");
    if (q->route == SIMILARITY_BY_FEATURES && rbf)
        return cli_usage(&command, "--route features needs the linear kernel");
    if (q->route != SIMILARITY_BY_COST && q->minibatch)
        return cli_usage(&command, "--route makes no sense with --estimator minibatch");
    return -1;
}

static int parse(cli *p, arguments *a)
{
    const char *value;
    for (int o; (o = cli_next(p, &value)) != CLI_END;) {
        if (o == CLI_STOP) return p->status;
        if (o == CLI_WORD) {
            if (a->files == WORDS) return cli_usage(&command, "at most %d files", (int)WORDS);
            a->file[a->files++] = value;
        } else if (parse_option(a, o, value) != 0)
            return STATUS_USAGE;
    }
    return check_options(a);
}

/* --- routing ------------------------------------------------------------------------------------------------------ */

/* Counts a sample for every pair of its experts. */
static int count_row(const cka_routing *g, const dump_matrix *m, size_t R, size_t row, const double *expert, char *err,
                     size_t errlen)
{
    char q[TENSOR_QUOTED];
    for (size_t a = 0; a < g->K; a++) {
        if (!(expert[a] >= 0 && expert[a] < (double)R))
            return tensor_fail(err, errlen,
                               "%s: tensor %s: row %zu, column %zu: expert %.0f, expected 0 to %zu: one a "
                               "representation",
                               m->path, tensor_quote(q, m->tensor), row, a, expert[a], R - 1);
        for (size_t b = 0; b < a; b++)
            if ((size_t)expert[a] == (size_t)expert[b])
                return tensor_fail(err, errlen, "%s: tensor %s: row %zu has expert %.0f twice", m->path,
                                   tensor_quote(q, m->tensor), row, expert[a]);
        for (size_t b = 0; b <= a; b++) {
            const size_t i = (size_t)expert[a], j = (size_t)expert[b];
            g->shared[i * R + j]++;
            if (i != j) g->shared[j * R + i]++;
        }
    }
    return 0;
}

static int count_all(cka_routing *g, dump *d, size_t R, char *err, size_t errlen)
{
    enum { ROWS = 4096 };
    const dump_matrix *m = &d->matrix[0];
    double *block = malloc(ROWS * g->K * sizeof *block);
    int result = block ? 0 : tensor_fail(err, errlen, "%s: out of memory", m->path);
    for (size_t row = 0; row < g->T && result == 0; row += ROWS) {
        const size_t rows = g->T - row < ROWS ? g->T - row : ROWS;
        result = dump_read(d, 0, row, rows, block, err, errlen);
        for (size_t t = 0; t < rows && result == 0; t++)
            result = count_row(g, m, R, row + t, block + t * g->K, err, errlen);
    }
    free(block);
    return result;
}

static int check_routing(const cka_routing *g, const dump *routing, const dump *d, char *err, size_t errlen)
{
    char q[TENSOR_QUOTED];
    const dump_matrix *m = &routing->matrix[0];
    if (routing->matrices > 1)
        return tensor_fail(err, errlen, "%s: %zu tensors could be the routing: say which, --routing FILE:TENSOR",
                           m->path, routing->matrices);
    if (g->T != d->matrix[0].n)
        return tensor_fail(err, errlen,
                           "%s: tensor %s has %zu samples, the representations have %zu: expected the same", m->path,
                           tensor_quote(q, m->tensor), g->T, d->matrix[0].n);
    if (g->K > d->matrices)
        return tensor_fail(err, errlen, "%s: tensor %s chooses %zu experts of %zu representations", m->path,
                           tensor_quote(q, m->tensor), g->K, d->matrices);
    return 0;
}

/* FILE, or FILE:TENSOR if there is no such file. */
static char *split_routing(const char *text, const char **wanted)
{
    char *path = strdup(text);
    char *colon = path ? strrchr(path, ':') : NULL;
    *wanted = NULL;
    if (!colon || access(path, F_OK) == 0) return path;
    *colon = '\0';
    *wanted = text + (colon + 1 - path);
    return path;
}

/* Opens the routing and counts; the dump stays open, for its names. */
static int load_routing(const char *text, const dump *d, dump *routing, cka_routing *g, char *err, size_t errlen)
{
    const char *wanted;
    char *path = split_routing(text, &wanted);
    const char *paths[] = {path};
    if (!path) return tensor_fail(err, errlen, "out of memory");
    const dump_choice choice = {.patterns = wanted ? 1 : 0, .pattern = &wanted, .integers = true};
    int result = dump_open(routing, 1, paths, &choice, err, errlen);
    free(path);
    if (result != 0) return result;
    const dump_matrix *m = &routing->matrix[0];
    *g = (cka_routing){m->path, m->tensor, m->n, m->p, calloc(d->matrices * d->matrices, sizeof *g->shared)};
    result = g->shared ? check_routing(g, routing, d, err, errlen) : tensor_fail(err, errlen, "out of memory");
    return result == 0 ? count_all(g, routing, d->matrices, err, errlen) : result;
}

/* --- output ------------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *path[PLOTS + 2];
    void *bytes[PLOTS + 2];
    size_t size[PLOTS + 2], files;
} outputs;

static int keep(outputs *o, const char *path, void *bytes, size_t n)
{
    if (!bytes) return -1;
    o->path[o->files] = path;
    o->bytes[o->files] = bytes;
    o->size[o->files++] = n;
    return 0;
}

static int keep_csv(outputs *o, const char *path, const cka_report *c)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f) return -1;
    cka_print_csv(f, c);
    if (fclose(f) != 0) {
        free(text);
        return -1;
    }
    return keep(o, path, text, n);
}

/* Everything is made before anything is written. */
static int make_outputs(const arguments *a, const cka_report *c, outputs *o, char **json, char *err, size_t errlen)
{
    if (a->json) {
        *json = cka_json(c);
        if (!*json) return tensor_fail(err, errlen, "out of memory");
    }
    if (a->csv && keep_csv(o, a->csv, c) != 0) return tensor_fail(err, errlen, "out of memory");
    for (size_t i = 0; i < a->plots; i++) {
        unsigned char *bytes = NULL;
        size_t n = 0;
        if (cka_plot(a->plot[i], c, &bytes, &n, err, errlen) != 0) return -1;
        if (keep(o, a->plot[i], bytes, n) != 0) return tensor_fail(err, errlen, "out of memory");
    }
    return 0;
}

static int write_outputs(const arguments *a, const cka_report *c, char *err, size_t errlen)
{
    outputs o = {.files = 0};
    char *json = NULL;
    const bool to_stdout = a->json && strcmp(a->json, "-") == 0;
    int result = make_outputs(a, c, &o, &json, err, errlen);
    if (result == 0 && json && !to_stdout) result = cli_write_file(a->json, json, strlen(json), err, errlen);
    for (size_t i = 0; i < o.files; i++) {
        if (result == 0) result = cli_write_file(o.path[i], o.bytes[i], o.size[i], err, errlen);
        free(o.bytes[i]);
    }
    if (result == 0 && to_stdout) fputs(json, stdout);
    if (result == 0 && !to_stdout) cka_print_table(stdout, c);
    free(json);
    return result;
}

/* Before the work: could its results be written? */
static int check_outputs(const arguments *a, char *err, size_t errlen)
{
    if (a->json && strcmp(a->json, "-") != 0 && cli_writable(a->json, err, errlen) != 0) return -1;
    if (a->csv && cli_writable(a->csv, err, errlen) != 0) return -1;
    for (size_t i = 0; i < a->plots; i++)
        if (cli_writable(a->plot[i], err, errlen) != 0) return -1;
    return a->plots ? cka_plot_possible(err, errlen) : 0;
}

/* Rewrites the line of progress, when standard error is a terminal; the last call clears it. */
static void progress(const char *what, size_t done, size_t all)
{
    if (!isatty(STDERR_FILENO)) return;
    if (what)
        fprintf(stderr, "\r%s %zu/%zu\033[K", what, done, all);
    else
        fprintf(stderr, "\r\033[K");
    fflush(stderr);
}

static int measure(const arguments *a, dump *d, char *err, size_t errlen)
{
    similarity_result r = {0};
    dump routing = {0};
    cka_routing g = {0};
    int result = a->routing ? load_routing(a->routing, d, &routing, &g, err, errlen) : 0;
    if (result == 0) {
        result = similarity_matrix(d, &a->request, &r, err, errlen);
        progress(NULL, 0, 0);
    }
    const cka_report c = {d, &a->request, &r, a->routing ? &g : NULL};
    if (result == 0) result = write_outputs(a, &c, err, errlen);
    similarity_clear(&r);
    dump_close(&routing);
    free(g.shared);
    return result;
}

int cmd_cka(int argc, char **argv)
{
    cli p = cli_start(&command, argc, argv);
    arguments a = {.files = 0};
    a.request = (similarity_request){.how = {SMOE_KERNEL_LINEAR, 0.8, SMOE_BANDWIDTH_MEDIAN, SMOE_DIAGONAL_WITH,
                                             SMOE_MIDDLE_MEAN, SMOE_MEDIAN_DISTANCE, true, SMOE_HSIC_DEBIASED,
                                             SMOE_ROUTE_GRAM, SMOE_DIVIDE_N_LESS_1},
                                     .memory = (size_t)1 << 30,
                                     .level = 0.95,
                                     .seed = 1,
                                     .progress = progress};
    const int status = parse(&p, &a);
    if (status >= 0) return status;
    a.choice.pattern = a.pattern;
    char err[1024];
    dump d;
    int result = check_outputs(&a, err, sizeof err);
    if (result == 0) {
        result = dump_open(&d, a.files, a.file, &a.choice, err, sizeof err);
        if (result == 0) {
            result = measure(&a, &d, err, sizeof err);
            dump_close(&d);
        }
    }
    return result == 0 ? STATUS_PASS : cli_input("%s", err);
}
