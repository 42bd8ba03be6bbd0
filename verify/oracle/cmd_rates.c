/* smoeref rates: draws data from competition-gated mixtures, fits, measures how far the fits are from the truth, and
 * how that falls with the number of samples (spec/08-convergence.md). */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "rates.h"

enum {
    OPTION_FREE,
    OPTION_N,
    OPTION_REPEATS,
    OPTION_SEED,
    OPTION_ESTIMATOR,
    OPTION_STARTS,
    OPTION_WORKERS,
    OPTION_OUT,
    OPTION_SHARD,
    OPTION_MPI,
    OPTION_JSON,
    OPTION_CSV,
    OPTION_PLOT
};
static const cli_option options[] = {
    [OPTION_FREE] = {"--free-weights", "yes|no",
                     "a free weight e^beta0 for each atom (default: no in exact, else yes)"},
    [OPTION_N] = {"--n", "LIST", "sample sizes: 316,1000,3162 or FROM:TO:COUNT (default 316:56234:8)"},
    [OPTION_REPEATS] = {"--repeats", "R", "data sets of each size (default 24)"},
    [OPTION_SEED] = {"--seed", "S", "of all random draws (default 1)"},
    [OPTION_ESTIMATOR] = {"--estimator", "E,...", "mle, em, oracle (labels known); default mle"},
    [OPTION_STARTS] = {"--starts", "M", "starts of each fit, the best is kept (default 1 in exact, else 2)"},
    [OPTION_WORKERS] = {"--workers", "N", "processes (default: one for each processor); no number changes a result"},
    [OPTION_OUT] = {"--out", "FILE", "results, JSON Lines; if it is there, only what it lacks is run"},
    [OPTION_SHARD] = {"--shard", "I/N", "only the I-th of N parts, for several machines; needs --out"},
    [OPTION_MPI] = {"--mpi", NULL, "share the fits among the processes that mpirun started (./configure --with-mpi)"},
    [OPTION_JSON] = {"--json", NULL, "slopes and means for programs instead of the table"},
    [OPTION_CSV] = {"--csv", NULL, "means as CSV instead of the table"},
    [OPTION_PLOT] = {"--plot", "FILE", "log-log plot, FILE.svg or FILE.png (needs gnuplot)"},
    {NULL, NULL, NULL},
};
static const cli_command command = {
    "rates",
    "PRESET [options]\n       smoeref rates merge FILE ... [--out FILE] [--json|--csv] [--plot FILE]",
    "Measures rates of convergence: draws data from mixtures of two linear experts, fits them, and regresses the log "
    "of\n"
    "the mean total variation, Hellinger distance and Voronoi loss on log n.  Theory says -1/2.\n\n"
    "  exact                   two atoms are fitted: gates norm, softplus, softmax\n"
    "  over                    three atoms are fitted; without free weights competition then does not contain the "
    "truth\n"
    "  softmax-vs-competition  as over, all gates\n"
    "  merge                   joins the files of shards, or shows a finished file again\n\n"
    "A run with --out that was killed goes on by the same command.  On several machines:\n"
    "  one shard each, as a job array:  smoeref rates over --shard 3/32 --out over.3.jsonl\n"
    "  and then:                        smoeref rates merge over.*.jsonl --out over.jsonl\n"
    "  or one MPI job:                  mpirun -n 16 smoeref rates over --mpi --out over.jsonl",
    options,
};

/* What the command line asks for. */
typedef struct {
    rates_plan plan;
    const char *out, *plot;
    size_t shard, shards; /* of 1 .. shards */
    int workers;
    bool merge, json, csv, mpi;
    const char *files[256]; /* merge */
    size_t file_count;
} request;

/* --- options ------------------------------------------------------------------------------------------------------ */

/* A whole number of [from, to] at the start of text, which must end with `end`; NULL, or what follows. */
static const char *read_count(const char *text, char end, size_t from, size_t to, size_t *n)
{
    char *rest;
    if (*text < '0' || *text > '9') return NULL;
    const unsigned long long value = strtoull(text, &rest, 10);
    if (*rest != end || value < from || value > to) return NULL;
    *n = (size_t)value;
    return end ? rest + 1 : rest;
}

static int parse_shard(request *r, const char *text)
{
    const char *rest = read_count(text, '/', 1, 100000, &r->shard);
    if (!rest || !read_count(rest, '\0', 1, 100000, &r->shards) || r->shard > r->shards)
        return cli_usage(&command, "--shard is '%.40s', expected I/N with 1 <= I <= N", text);
    return 0;
}

static int parse_word(request *r, const char *word, bool first)
{
    if (first && strcmp(word, "merge") == 0) {
        r->merge = true;
        return 0;
    }
    if (r->merge) {
        if (r->file_count == sizeof r->files / sizeof *r->files) return cli_usage(&command, "too many files");
        r->files[r->file_count++] = word;
        return 0;
    }
    if (!first) return cli_usage(&command, "one preset at a time, not '%.40s' too", word);
    if (rates_plan_start(&r->plan, word)) return 0;
    const char *near = cli_nearest(word, rates_presets);
    return cli_usage(&command, "unknown preset '%.40s'%s%s%s", word, near ? "; did you mean '" : "", near ? near : "",
                     near ? "'?" : "");
}

static int parse_number(const char *name, const char *text, size_t from, size_t to, size_t *n)
{
    if (read_count(text, '\0', from, to, n)) return 0;
    return cli_usage(&command, "%s is '%.40s', expected a number from %zu to %zu", name, text, from, to);
}

static int parse_plan_option(rates_plan *plan, int option, const char *value)
{
    const char *wrong = NULL;
    switch (option) {
    case OPTION_FREE:
        plan->free_weights = strcmp(value, "yes") == 0 ? "yes" : "no";
        if (strcmp(value, plan->free_weights) != 0) wrong = "expected yes or no";
        break;
    case OPTION_N:
        wrong = rates_plan_sizes(plan, value);
        break;
    case OPTION_REPEATS:
        return parse_number("--repeats", value, 2, 100000, &plan->repeats);
    case OPTION_STARTS:
        return parse_number("--starts", value, 1, 100, &plan->starts);
    case OPTION_SEED:
        if (!cli_parse_seed(value, &plan->seed)) wrong = "expected a whole number below 2^53";
        break;
    default:
        wrong = rates_plan_estimators(plan, value);
        break;
    }
    return wrong ? cli_usage(&command, "%s is '%.40s': %s", options[option].name, value, wrong) : 0;
}

static int parse_option(request *r, int option, const char *value)
{
    switch (option) {
    case OPTION_WORKERS: {
        size_t n = 0;
        const int status = parse_number("--workers", value, 1, 1024, &n);
        r->workers = (int)n;
        return status;
    }
    case OPTION_OUT:
        r->out = value;
        return 0;
    case OPTION_SHARD:
        return parse_shard(r, value);
    case OPTION_MPI:
        r->mpi = true;
        return 0;
    case OPTION_JSON:
        r->json = true;
        return 0;
    case OPTION_CSV:
        r->csv = true;
        return 0;
    default:
        r->plot = value;
        return 0;
    }
}

static bool of_plan(int option) { return option >= OPTION_FREE && option <= OPTION_STARTS; }

/* What only makes sense together, or not together. */
static int check_request(request *r, bool named, const char *plan_option)
{
    char text[RATES_TEXT];
    if (!named) return cli_usage(&command, "which preset? exact, over, softmax-vs-competition, or merge");
    if (r->merge && r->file_count == 0) return cli_usage(&command, "merge needs files");
    if (r->merge && (plan_option || r->shards || r->workers || r->mpi))
        return cli_usage(&command, "%s does not go with merge: the files say what was run",
                         plan_option ? plan_option
                         : r->shards ? "--shard"
                         : r->mpi    ? "--mpi"
                                     : "--workers");
    if (r->mpi && r->workers) return cli_usage(&command, "--mpi or --workers: mpirun -n says how many processes");
    if (r->json && r->csv) return cli_usage(&command, "--json or --csv, not both");
    if (r->shards && !r->out) return cli_usage(&command, "--shard needs --out: its results are merged later");
    if (r->shards && (r->json || r->csv || r->plot))
        return cli_usage(&command, "a shard is a part: --json, --csv and --plot go with merge");
    const char *wrong = r->plot ? rates_plot_check(r->plot) : NULL;
    if (wrong) return cli_usage(&command, "--plot %.80s: %s", r->plot, wrong);
    if (r->merge) return 0;
    wrong = rates_plan_finish(&r->plan, text);
    return wrong ? cli_usage(&command, "%s", wrong) : 0;
}

/* The preset first, so that options change it and not the other way round. */
static int parse(request *r, int argc, char **argv, bool *stop)
{
    enum { most = 64 };
    struct {
        int option;
        const char *value;
    } given[most];
    int count = 0, status = 0;
    size_t words = 0;
    const char *value, *plan_option = NULL;
    cli p = cli_start(&command, argc, argv);
    for (int o; (o = cli_next(&p, &value)) != CLI_END && status == 0;) {
        *stop = o == CLI_STOP;
        if (*stop) return p.status;
        if (o == CLI_WORD) {
            status = parse_word(r, value, words++ == 0);
        } else if (of_plan(o)) {
            if (count == most) return cli_usage(&command, "too many options");
            plan_option = options[o].name;
            given[count].option = o;
            given[count++].value = value;
        } else
            status = parse_option(r, o, value);
    }
    for (int i = 0; i < count && status == 0 && words > 0; i++)
        status = parse_plan_option(&r->plan, given[i].option, given[i].value);
    return status ? status : check_request(r, words > 0, plan_option);
}

/* --- running ------------------------------------------------------------------------------------------------------ */

/* What the workers share. */
typedef struct {
    const rates_plan *plan;
    const rates_store *store;
    const size_t *pending; /* the costliest first */
    rates_fit *results; /* in shared memory, as is stop */
    atomic_bool *stop;
} run;

static int one_fit(void *context, size_t piece, char message[JOB_MESSAGE])
{
    const run *r = context;
    const size_t i = r->pending[piece];
    if (atomic_load(r->stop)) return 0;
    rates_run(r->plan, i, &r->results[i]);
    if (!r->store->path || rates_store_append(r->store, r->plan, i, &r->results[i], message, JOB_MESSAGE) == 0)
        return 0;
    atomic_store(r->stop, true);
    return STATUS_INPUT;
}

static const rates_plan *sorted_plan; /* for qsort, which has no context */

static int costliest_first(const void *a, const void *b)
{
    const size_t i = *(const size_t *)a, j = *(const size_t *)b;
    const double x = rates_fit_cost(sorted_plan, i), y = rates_fit_cost(sorted_plan, j);
    return x > y ? -1 : x < y ? 1 : (i > j) - (i < j);
}

/* The fits of this shard that are not done. */
static size_t what_is_left(const request *r, const rates_fit *results, size_t *pending)
{
    size_t count = 0;
    for (size_t i = 0; i < rates_fits(&r->plan); i++)
        if (!results[i].done && (r->shards == 0 || i % r->shards == r->shard - 1)) pending[count++] = i;
    sorted_plan = &r->plan;
    qsort(pending, count, sizeof *pending, costliest_first);
    return count;
}

static int run_fits(const request *q, const rates_store *store, rates_fit *results, atomic_bool *stop,
                    int *signal_number)
{
    size_t *pending = calloc(rates_fits(&q->plan) + 1, sizeof *pending);
    double *cost = calloc(rates_fits(&q->plan) + 1, sizeof *cost);
    int status = STATUS_INPUT;
    if (pending && cost) {
        const size_t count = what_is_left(q, results, pending);
        run r = {&q->plan, store, pending, results, stop};
        for (size_t i = 0; i < count; i++) cost[i] = rates_fit_cost(&q->plan, pending[i]);
        status = jobs_run_costs(q->workers, count, "fits", one_fit, &r, cost, signal_number);
    } else
        cli_input("out of memory");
    free(pending);
    free(cost);
    return status;
}

/* --- results ------------------------------------------------------------------------------------------------------ */

static int show(const request *r, const rates_plan *plan, const rates_fit *results)
{
    char err[600];
    int status = STATUS_PASS;
    if (r->json)
        status = rates_print_json(plan, results);
    else if (r->csv)
        rates_print_csv(plan, results);
    else
        rates_print_table(plan, results);
    if (status == STATUS_PASS && r->plot && rates_plot(r->plot, plan, results, err, sizeof err) != 0)
        return cli_input("%s", err);
    return status;
}

static int merge_files(const request *r)
{
    char err[RATES_TEXT + 400];
    rates_plan plan;
    rates_fit *results = NULL;
    size_t missing = 0;
    int status = STATUS_PASS;
    for (size_t i = 0; i < r->file_count && status == STATUS_PASS; i++)
        if (rates_store_merge(r->files[i], &plan, &results, err, sizeof err) != 0) status = cli_input("%s", err);
    for (size_t i = 0; status == STATUS_PASS && i < rates_fits(&plan); i++) missing += !results[i].done;
    if (status == STATUS_PASS && r->out) {
        const rates_store whole = {r->out, -1};
        if (rates_store_finish(&whole, &plan, results, err, sizeof err) != 0) status = cli_input("%s", err);
    }
    if (status == STATUS_PASS && missing > 0)
        status =
            cli_input("%zu of %zu fits are missing: run the shards that are not finished, or merge their files too",
                      missing, rates_fits(&plan));
    if (status == STATUS_PASS) status = show(r, &plan, results);
    free(results);
    return status;
}

/* After the fits: the file is sorted, the table shown. */
static int finish(const request *r, const rates_store *store, const rates_fit *results)
{
    char err[600];
    if (store->path && rates_store_finish(store, &r->plan, results, err, sizeof err) != 0) return cli_input("%s", err);
    if (r->shards == 0) return show(r, &r->plan, results);
    printf("shard %zu/%zu is in %s; when all are there: smoeref rates merge FILE ...\n", r->shard, r->shards, r->out);
    return STATUS_PASS;
}

static int run_preset(const request *r)
{
    char err[RATES_TEXT + 400];
    int status = STATUS_PASS, signal_number = 0;
    const size_t bytes = rates_fits(&r->plan) * sizeof(rates_fit);
    rates_store store = {NULL, -1};
    rates_fit *results = jobs_share(bytes);
    atomic_bool *stop = jobs_share(sizeof *stop);
    if (!results || !stop)
        status = cli_input("out of memory");
    else if (r->out && rates_store_open(&store, r->out, &r->plan, results, err, sizeof err) != 0)
        status = cli_input("%s", err);
    if (status == STATUS_PASS) status = run_fits(r, &store, results, stop, &signal_number);
    if (status == STATUS_PASS) status = finish(r, &store, results);
    rates_store_close(&store);
    jobs_unshare(results, bytes);
    jobs_unshare(stop, sizeof *stop);
    if (signal_number && r->out) fprintf(stderr, "smoeref: interrupted; the same command goes on from %s\n", r->out);
    if (signal_number) jobs_die(signal_number);
    return status;
}

/* As run_preset, in every process of an MPI job; only the first touches the file and prints. */
static int run_over_mpi(const request *r)
{
    char err[RATES_TEXT + 400];
    bool first = true;
    const char *wrong = rates_mpi_start(&first);
    if (wrong) return cli_usage(&command, "--mpi: %s", wrong);
    int status = STATUS_PASS;
    rates_store store = {NULL, -1};
    rates_fit *results = calloc(rates_fits(&r->plan) + 1, sizeof *results);
    size_t *pending = calloc(rates_fits(&r->plan) + 1, sizeof *pending), count = 0;
    if (!results || !pending)
        status = cli_input("out of memory");
    else if (first && r->out && rates_store_open(&store, r->out, &r->plan, results, err, sizeof err) != 0)
        status = cli_input("%s", err);
    status = rates_mpi_agree(status);
    if (status == STATUS_PASS) {
        if (first) count = what_is_left(r, results, pending);
        rates_mpi_run(&r->plan, &store, pending, count, results);
        if (first) status = finish(r, &store, results);
        status = rates_mpi_agree(status);
    }
    rates_store_close(&store);
    free(results);
    free(pending);
    rates_mpi_end();
    return status;
}

int cmd_rates(int argc, char **argv)
{
    request r = {.merge = false};
    bool stop = false;
    const int status = parse(&r, argc, argv, &stop);
    if (stop || status) return status;
    char err[600];
    if (r.plot && cli_writable(r.plot, err, sizeof err) != 0) return cli_input("%s", err);
    if (r.merge && r.out && cli_writable(r.out, err, sizeof err) != 0) return cli_input("%s", err);
    if (r.mpi) return run_over_mpi(&r);
    return r.merge ? merge_files(&r) : run_preset(&r);
}
