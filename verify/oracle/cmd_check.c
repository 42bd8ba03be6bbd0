/* smoeref check: generates cases, runs a program on each, judges its answers. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check_shrink.h"
#include "judge.h"
#include "work.h"

extern char **environ;

enum { PATH = 4096, LINE = TENSOR_ERROR, WORDS = 256, TAIL_LINES = 6, TAIL = 1500, MOST_CHILDREN = 64 };

typedef struct {
    judge_options judge;
    const char *exec, *text, *cases, *keep;
    name_list suites, precisions;
    uint64_t seed, seeds;
    bool seeded;
    long timeout, shrink;
    const struct timespec *since; /* no case is begun with more than `most` seconds after this; NULL: whenever */
    double most;
    char *word[WORDS + 1]; /* of the command, placeholders not yet replaced */
    bool each; /* {prompt} {answer}: once a case; else {prompts} {answers}: once for all */
    char work[PATH - 500]; /* the folder of this run */
} check;

/* --- options ------------------------------------------------------------------------------------------------- */

enum {
    OPTION_EXEC = JUDGE_NEXT,
    OPTION_SUITE,
    OPTION_SEED,
    OPTION_SEEDS,
    OPTION_TEXT,
    OPTION_CASES,
    OPTION_TIMEOUT,
    OPTION_KEEP,
    OPTION_SHRINK,
    OPTION_MEMORY
};

static const cli_option options[] = {
    JUDGE_OPTIONS,
    {"--exec", "CMD", "the program: {prompt} and {answer} (once a case) or {prompts} and {answers} (once for all)"},
    {"--suite", "SUITE", "smoke, core (the default), adversarial or large; may be repeated"},
    {"--seed", "S", "the cases' seed (default 1)"},
    {"--seeds", "A..B", "every seed from A to B"},
    {"--text", "FILE", "cases made of a text file, for layer.smoe and compete.layer"},
    {"--cases", "DIR", "use the golden cases of DIR instead of generating some"},
    {"--timeout", "SEC", "stop a run of the program after this many seconds (default 300)"},
    {"--keep", "DIR", "a new folder for cases, answers and the program's output, kept"},
    {"--shrink", "SEC",
     "where nothing known explains a failure, look for the smallest case that fails so, this long (default 20; 0: do "
     "not)"},
    JUDGE_MEMORY_OPTION,
    {NULL, NULL, NULL},
};

static const cli_command command = {
    "check",
    "[OP ...] --exec 'CMD {prompt} {answer}' [--precision P] [--suite SUITE] [--where NAME=VALUE]",
    "Generates cases, runs your program on them and judges its answers.  The program is started without a shell; the\n"
    "environment variable SMOEREF_PRECISION names the precision.  It reads NAME.prompt.safetensors and writes\n"
    "NAME.safetensors; with {prompts} {answers} it gets two folders.  --precision f32,bf16 is one run after the other; "
    "the\n"
    "report r.xml is then r.f32.xml and r.bf16.xml.",
    options,
};

/* --- the command --------------------------------------------------------------------------------------------- */

/* Splits as a shell does, quotes and backslashes and nothing else.  Returns the number of words, or -1: a quote is
 * open, or there are too many; or -2: out of memory. */
static int split(const char *text, char **word, int most)
{
    char *buffer = malloc(strlen(text) + 1);
    int n = 0;
    size_t len = 0;
    if (!buffer) return -2;
    bool in_word = false, bad = false, lost = false;
    char quote = '\0';
    for (const char *p = text; !bad; p++) {
        const char c = *p;
        if (c == '\0' || (!quote && strchr(" \t\n", c))) {
            if (c == '\0' && quote) bad = true;
            if (in_word && !bad) {
                buffer[len] = '\0';
                lost = n < most && !(word[n] = strdup(buffer));
                bad = lost || n == most;
                n += !bad;
            }
            in_word = false;
            len = 0;
            if (c == '\0') break;
            continue;
        }
        in_word = true;
        if (quote ? c == quote : c == '\'' || c == '"') {
            quote = quote ? '\0' : c;
        } else if (c == '\\' && quote != '\'' && p[1] && (!quote || strchr("\"\\$`", p[1]))) {
            buffer[len++] = *++p;
        } else
            buffer[len++] = c;
    }
    free(buffer);
    return lost ? -2 : bad ? -1 : n;
}

static bool mentions(char *const *word, const char *what)
{
    for (; *word; word++)
        if (strstr(*word, what)) return true;
    return false;
}

/* A word with every {prompt...} and {answer...} replaced.  malloc'd. */
static char *fill_in(const char *word, const char *prompt, const char *answer, bool each)
{
    const char *const name[2] = {each ? "{prompt}" : "{prompts}", each ? "{answer}" : "{answers}"};
    const char *const value[2] = {prompt, answer};
    char *out = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&out, &n);
    if (!f) return NULL;
    while (*word) {
        int which = 0;
        while (which < 2 && strncmp(word, name[which], strlen(name[which])) != 0) which++;
        fputs(which < 2 ? value[which] : (char[2]){*word, '\0'}, f);
        word += which < 2 ? strlen(name[which]) : 1;
    }
    fclose(f);
    return out;
}

/* --- running it ---------------------------------------------------------------------------------------------- */

typedef struct {
    pid_t pid;
    size_t which; /* of the manifest */
    struct timespec started;
    char log[PATH + 300];
} child;

/* Starts the program in a process group of its own, its output going to the log.  0, or an errno. */
static int start(const check *k, const char *prompt, const char *answer, child *c)
{
    char *argv[WORDS + 1] = {NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    int whole = 0;
    while (k->word[whole] && (argv[whole] = fill_in(k->word[whole], prompt, answer, k->each))) whole++;
    if (k->word[whole]) {
        while (whole > 0) free(argv[--whole]);
        return ENOMEM;
    }
    sigemptyset(&none);
    sigemptyset(&defaults);
    const int ours[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGCHLD};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) sigaddset(&defaults, ours[i]);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, c->log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    const int status = posix_spawnp(&c->pid, argv[0], &files, &attributes, argv, environ);
    clock_gettime(CLOCK_MONOTONIC, &c->started);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    for (int i = 0; argv[i]; i++) free(argv[i]);
    return status;
}

/* The last lines of a log, malloc'd; NULL if it is empty. */
static char *tail(const char *path)
{
    char *text = calloc(TAIL + 1, 1);
    FILE *f = fopen(path, "rb");
    size_t n = 0;
    if (text && f) {
        fseek(f, 0, SEEK_END);
        const long size = ftell(f);
        fseek(f, size > TAIL ? size - TAIL : 0, SEEK_SET);
        n = fread(text, 1, TAIL, f);
    }
    if (f) fclose(f);
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\0')) n--;
    if (n == 0) {
        free(text);
        return NULL;
    }
    text[n] = '\0';
    size_t at = n;
    for (int lines = 0; at > 0; at--) {
        if (text[at - 1] == '\0') text[at - 1] = ' ';
        if (text[at - 1] == '\n' && ++lines == TAIL_LINES) break;
    }
    memmove(text, text + at, n - at + 1);
    return text;
}

static void note(judge_run *run, const char *fault, const char *log)
{
    free(run->fault);
    free(run->output);
    run->fault = verdict_say("%s", fault);
    run->output = tail(log);
}

/* Has this child ended, or is its time up?  Then it is reaped with its whole group, and what came of it is in *run. */
static bool ended(const check *k, const child *c, judge_run *run)
{
    siginfo_t s = {0};
    char fault[200] = "";
    const int waited = waitid(P_PID, (id_t)c->pid, &s, WEXITED | WNOHANG | WNOWAIT);
    const bool gone = waited == 0 && s.si_pid == c->pid;
    if (!gone && !work_caught && work_seconds_since(&c->started) < (double)k->timeout) return false;
    if (!gone)
        snprintf(fault, sizeof fault, "the program was stopped after %ld s (--timeout)", k->timeout);
    else if (s.si_code != CLD_EXITED)
        snprintf(fault, sizeof fault, "the program was ended by signal %d (%s)", s.si_status, strsignal(s.si_status));
    else if (s.si_status != 0)
        snprintf(fault, sizeof fault, "the program ended with exit status %d", s.si_status);
    kill(-c->pid, SIGKILL); /* and whatever it left running; the group exists until its leader is reaped */
    waitpid(c->pid, NULL, 0);
    if (*fault)
        note(run, fault, c->log);
    else
        run->output = tail(c->log);
    return true;
}

static bool in_time(const check *k) { return !k->since || work_seconds_since(k->since) < k->most; }

static void show_progress(size_t done, size_t n)
{
    if (!isatty(STDERR_FILENO)) return;
    fprintf(stderr, done < n ? "\rrun %zu/%zu" : "\r\033[K", done, n);
    fflush(stderr);
}

static size_t places(const check *k, size_t n)
{
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    size_t most = k->judge.jobs > 0 ? (size_t)k->judge.jobs : online > 0 ? (size_t)online : 1;
    if (most > MOST_CHILDREN) most = MOST_CHILDREN;
    return most < n ? most : n;
}

static int cannot_run(const check *k, int error)
{
    if (error == ENOMEM || error == EAGAIN || error == EMFILE || error == ENFILE)
        return cli_input("--exec: no process could be started: %s", strerror(error));
    return cli_usage(&command, "--exec: cannot run '%.200s': %s (no shell is used; write sh -c '...' for one)",
                     k->word[0], strerror(error));
}

/* The program once for each case, some at a time.  An exit status, or -1 if interrupted. */
static int run_each(const check *k, const char *golden, const manifest *m, judge_run *runs)
{
    static child children[MOST_CHILDREN];
    size_t running = 0, next = 0, done = 0, wanted = 0;
    int status = 0;
    for (size_t i = 0; i < m->cases; i++) wanted += judge_wants(&k->judge, &m->c[i]);
    const size_t most = places(k, wanted);
    while (running > 0 || (next < m->cases && status == 0 && !work_caught && in_time(k))) {
        for (; running < most && next < m->cases && status == 0 && !work_caught && in_time(k); next++) {
            char prompt[PATH + 300], answer[PATH + 300];
            child *c = &children[running];
            if (!judge_wants(&k->judge, &m->c[next])) continue;
            c->which = next;
            snprintf(prompt, sizeof prompt, "%s/%s.prompt.safetensors", golden, m->c[next].name);
            snprintf(answer, sizeof answer, "%s/answers/%s.safetensors", k->work, m->c[next].name);
            snprintf(c->log, sizeof c->log, "%s/logs/%s.txt", k->work, m->c[next].name);
            const int error = start(k, prompt, answer, c);
            if (error) status = cannot_run(k, error);
            running += !error;
        }
        for (size_t i = 0; i < running;) {
            if (!ended(k, &children[i], &runs[children[i].which])) {
                i++;
                continue;
            }
            done++;
            running--;
            if (i < running) children[i] = children[running];
        }
        show_progress(done, wanted);
        if (running > 0) work_nap(3);
    }
    return work_caught ? -1 : status;
}

/* A folder with links to the prompts that are asked for, and to nothing else. */
static int link_prompts(const check *k, const char *golden, const manifest *m)
{
    char from[PATH + 300], to[PATH + 300], absolute[PATH];
    if (!realpath(golden, absolute)) return cli_input("%s: %s", golden, strerror(errno));
    for (size_t i = 0; i < m->cases; i++) {
        if (!judge_wants(&k->judge, &m->c[i])) continue;
        snprintf(from, sizeof from, "%s/%s.prompt.safetensors", absolute, m->c[i].name);
        snprintf(to, sizeof to, "%s/prompts/%s.prompt.safetensors", k->work, m->c[i].name);
        if (symlink(from, to) != 0) return cli_input("%s: cannot be written: %s", to, strerror(errno));
    }
    return 0;
}

/* A run for all cases that failed is charged to each of them: which is said, and how far it came. */
static char *say_charged(const check *k, const manifest *m, const char *fault)
{
    char path[PATH + 300];
    size_t wanted = 0, there = 0;
    const char *missing = NULL;
    for (size_t i = 0; i < m->cases; i++) {
        if (!judge_wants(&k->judge, &m->c[i])) continue;
        snprintf(path, sizeof path, "%s/answers/%s.safetensors", k->work, m->c[i].name);
        const bool answered = access(path, F_OK) == 0;
        wanted++;
        there += answered;
        if (!answered && (!missing || strcmp(m->c[i].name, missing) < 0)) missing = m->c[i].name;
    }
    return verdict_say(
        "%s; it was started once for all %zu cases, so each is charged with it ({prompt} {answer} starts it "
        "once a case); of %zu answers it wrote %zu%s%s",
        fault, wanted, wanted, there, missing ? ", the first by name that is missing is " : "", missing ? missing : "");
}

/* The program once for all cases. */
static int run_all(const check *k, const char *golden, const manifest *m, judge_run *runs)
{
    static child c;
    judge_run run = {NULL, NULL};
    char prompts[PATH], answers[PATH];
    int status = link_prompts(k, golden, m);
    if (status != 0) return status;
    snprintf(prompts, sizeof prompts, "%s/prompts", k->work);
    snprintf(answers, sizeof answers, "%s/answers", k->work);
    snprintf(c.log, sizeof c.log, "%s/logs/all.txt", k->work);
    const int error = start(k, prompts, answers, &c);
    if (error) return cannot_run(k, error);
    show_progress(0, 1);
    for (long wait = 1; !ended(k, &c, &run); wait = wait < 20 ? wait + 1 : wait) work_nap(wait);
    show_progress(1, 1);
    char *charged = run.fault ? say_charged(k, m, run.fault) : NULL;
    for (size_t i = 0; i < m->cases && !work_caught; i++) {
        runs[i].fault = charged ? strdup(charged) : NULL;
        runs[i].output = run.output ? strdup(run.output) : NULL;
    }
    free(charged);
    free(run.fault);
    free(run.output);
    return work_caught ? -1 : 0;
}

/* --- one seed ------------------------------------------------------------------------------------------------ */

static int generate(const check *k, uint64_t seed, const char *golden)
{
    gen_options g = gen_defaults();
    g.command = &command;
    g.ops = k->judge.ops;
    g.where = k->judge.where;
    g.suites = k->suites;
    g.precision = judge_stored(&k->judge);
    g.seed = seed;
    g.text = k->text;
    g.out = golden;
    g.jobs = k->judge.jobs;
    return work_generate(&g);
}

static void free_runs(judge_run *runs, size_t n)
{
    for (size_t i = 0; runs && i < n; i++) {
        free(runs[i].fault);
        free(runs[i].output);
    }
    free(runs);
}

/* The program on the prompts of a folder of the search for smaller cases. */
static int run_steps(void *context, const char *folder, const manifest *m, judge_run *runs, double seconds)
{
    check inner = *(const check *)context;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    inner.since = &now;
    inner.most = seconds;
    inner.judge.ops.count = 0;
    inner.judge.where = (where_list){.count = 0};
    if ((double)inner.timeout > seconds) inner.timeout = (long)seconds + 1;
    snprintf(inner.work, sizeof inner.work, "%s", folder);
    return inner.each ? run_each(&inner, folder, m, runs) : run_all(&inner, folder, m, runs);
}

static int shrink(check *k, const char *golden, verdict_case *v, size_t n)
{
    const shrink_search s = {.judge = &k->judge,
                             .run = run_steps,
                             .context = k,
                             .golden = golden,
                             .work = k->work,
                             .keep = k->keep != NULL,
                             .seconds = (double)k->shrink};
    return shrink_failures(&s, v, n);
}

/* Generates (unless there are cases), runs, judges.  An exit status, or -1 if interrupted.  The
 * caller clears m. */
static int check_seed(check *k, uint64_t seed, manifest *m, judge_result *r)
{
    char golden[PATH], path[PATH + 20], answers[PATH], suffix[40] = "", err[LINE] = "";
    int status = 0;
    snprintf(golden, sizeof golden, "%s", k->cases ? k->cases : "");
    snprintf(answers, sizeof answers, "%s/answers", k->work);
    if (!k->cases) {
        snprintf(golden, sizeof golden, "%s/golden", k->work);
        status = judge_settle(&k->judge, NULL);
        if (status == 0) status = generate(k, seed, golden);
    }
    if (k->seeds > 1) snprintf(suffix, sizeof suffix, " (seed %llu)", (unsigned long long)seed);
    snprintf(path, sizeof path, "%s/manifest.json", golden);
    if (status == 0) status = work_make_in(k->work, "answers");
    if (status == 0) status = work_make_in(k->work, "logs");
    if (status == 0 && !k->each) status = work_make_in(k->work, "prompts");
    if (status == 0 && manifest_read(path, m, err, sizeof err) != 0) status = cli_input("%s", err);
    if (status == 0) status = judge_wants_any(&k->judge, golden, m);
    if (status == 0) status = judge_settle(&k->judge, m);
    judge_run *runs = status == 0 ? calloc(m->cases ? m->cases : 1, sizeof *runs) : NULL;
    if (status == 0 && !runs) status = cli_input("out of memory for %zu runs", m->cases);
    if (runs) status = k->each ? run_each(k, golden, m, runs) : run_all(k, golden, m, runs);
    const size_t before = r->cases;
    if (status == 0) status = judge_folder(&k->judge, golden, answers, m, runs, suffix, r);
    if (status == 0 && k->shrink > 0) status = shrink(k, golden, r->c + before, r->cases - before);
    if (status >= 0) free_runs(runs, m->cases);
    return status;
}

/* All seeds, each in a folder of its own. */
static int check_seeds(check *k, const char *base, judge_result *r, char suite[128])
{
    for (uint64_t i = 0; i < k->seeds; i++) {
        manifest m;
        memset(&m, 0, sizeof m);
        snprintf(k->work, sizeof k->work, "%.3000s", base);
        if (k->seeds > 1) {
            char name[40];
            snprintf(name, sizeof name, "seed-%llu", (unsigned long long)(k->seed + i));
            const int status = work_make_in(base, name);
            if (status != 0) return status;
            snprintf(k->work, sizeof k->work, "%.3000s/%s", base, name);
        }
        const int status = check_seed(k, k->seed + i, &m, r);
        if (status == -1) return -1; /* threads may still be reading m */
        if (m.suite) snprintf(suite, 128, "%s", m.suite);
        if (m.suite && k->cases) k->seed = m.seed;
        manifest_clear(&m);
        if (status != 0) return status;
        if (k->seeds > 1 && !k->keep) work_remove(k->work);
    }
    return 0;
}

static int run_check(check *k)
{
    char base[3000], suite[128] = "";
    judge_result r = {0};
    work_catch_signals();
    int status = work_make(k->keep, base, sizeof base);
    if (status != 0) return status;
    k->judge.stop = &work_caught;
    setenv("SMOEREF_PRECISION", k->judge.precision->name, 1);
    status = check_seeds(k, base, &r, suite);
    if (!k->keep) work_remove(base);
    if (status == -1) jobs_die(work_caught);
    work_default_signals();
    if (status == 0) status = judge_finish(&k->judge, &r, suite, k->seed, k->seeds);
    judge_result_clear(&r);
    return status;
}

/* "r.xml" at bf16 is "r.bf16.xml". */
static void report_name(char *name, size_t room, const char *path, const char *precision)
{
    const char *dot = strrchr(path, '.');
    snprintf(name, room, "%.*s.%s%s", (int)(dot - path), path, precision, dot);
}

/* One precision after the other, each with its reports and its kept folder; the worst of their statuses. */
static int run_precisions(check *k)
{
    const char *const keep = k->keep, *path[sizeof k->judge.report / sizeof *k->judge.report];
    static char name[sizeof path / sizeof *path][PATH], folder[PATH];
    memcpy(path, k->judge.report, sizeof path);
    int worst = 0;
    if (keep && mkdir(keep, 0777) != 0 && errno != EEXIST)
        return cli_input("--keep %s: cannot be made: %s", keep, strerror(errno));
    for (size_t i = 0; i < k->precisions.count && worst <= STATUS_FAIL; i++) {
        const uint64_t seed = k->seed;
        k->judge.precision = twin_profile_find(k->precisions.name[i]);
        for (size_t j = 0; j < k->judge.reports; j++) {
            report_name(name[j], sizeof name[j], path[j], k->precisions.name[i]);
            k->judge.report[j] = name[j];
        }
        if (keep) {
            snprintf(folder, sizeof folder, "%s/%s", keep, k->precisions.name[i]);
            k->keep = folder;
        }
        printf("%s== precision %s ==\n", i && !k->judge.quiet ? "\n" : "", k->precisions.name[i]);
        int status = judge_prepare(&k->judge);
        if (status == 0) status = run_check(k);
        if (status > worst) worst = status;
        k->seed = seed;
    }
    return worst;
}

/* --- the command line ---------------------------------------------------------------------------------------- */

static int parse_seeds(check *k, const char *text)
{
    char first[32];
    uint64_t last = 0;
    const char *dots = strstr(text, "..");
    snprintf(first, sizeof first, "%.*s", dots ? (int)(dots - text) : 0, text);
    const bool parsed = dots && dots - text <= 30 && cli_parse_seed(first, &k->seed) && cli_parse_seed(dots + 2, &last);
    if (!parsed || last < k->seed) return cli_usage(&command, "--seeds is '%.60s', expected A..B with A <= B", text);
    k->seeds = last - k->seed + 1;
    return 0;
}

/* A number of seconds from `least` on. */
static int parse_seconds(const char *option, const char *text, long least, long *seconds)
{
    char *end;
    *seconds = strtol(text, &end, 10);
    if (*text >= '0' && *text <= '9' && !*end && *seconds >= least && *seconds <= 1000000) return 0;
    return cli_usage(&command, "%s is '%.40s', expected seconds, at least %ld", option, text, least);
}

static int take_option(check *k, int option, const char *value)
{
    switch (option) {
    case OPTION_EXEC:
        k->exec = value;
        return 0;
    case OPTION_SUITE:
        return cli_parse_suites(&command, &k->suites, value);
    case OPTION_SEED:
        k->seeded = true;
        k->seeds = 1;
        if (cli_parse_seed(value, &k->seed)) return 0;
        return cli_usage(&command, "--seed is '%.40s', expected a number from 0 to 2^53 - 1", value);
    case OPTION_SEEDS:
        k->seeded = true;
        return parse_seeds(k, value);
    case OPTION_TEXT:
        k->text = value;
        return 0;
    case OPTION_CASES:
        k->cases = value;
        return 0;
    case OPTION_TIMEOUT:
        return parse_seconds("--timeout", value, 1, &k->timeout);
    case OPTION_SHRINK:
        return parse_seconds("--shrink", value, 0, &k->shrink);
    case OPTION_KEEP:
        k->keep = value;
        return 0;
    case OPTION_MEMORY:
        return judge_set_memory(&k->judge, &command, value);
    case CLI_WORD:
        return cli_add_ops(&command, &k->judge.ops, value);
    case JUDGE_PRECISION:
        k->precisions.count = 0;
        if (strchr(value, ',')) return cli_parse_precisions(&command, &k->precisions, value);
        return judge_option(&k->judge, &command, option, value);
    default:
        return judge_option(&k->judge, &command, option, value);
    }
}

/* The first {word} of the command that stands for nothing, as ", found {word}"; "" if there is none. */
static void find_unknown(char *const *word, char text[80])
{
    static const char *const known[] = {"{prompt}", "{answer}", "{prompts}", "{answers}"};
    *text = '\0';
    for (; *word; word++)
        for (const char *p = strchr(*word, '{'); p; p = strchr(p + 1, '{')) {
            const size_t n = strspn(p + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_") + 2;
            bool is_known = n < 3 || p[n - 1] != '}';
            for (int i = 0; i < 4; i++) is_known |= strlen(known[i]) == n && strncmp(p, known[i], n) == 0;
            if (is_known) continue;
            snprintf(text, 80, ", found %.*s", n < 60 ? (int)n : 60, p);
            return;
        }
}

/* Do the command's words make sense? */
static int parse_exec(check *k)
{
    if (!k->exec) return cli_usage(&command, "--exec 'CMD {prompt} {answer}' is missing");
    const int n = split(k->exec, k->word, WORDS);
    if (n == -2) return cli_input("out of memory for --exec");
    if (n < 0) return cli_usage(&command, "--exec: a quote is not closed, or there are more than %d words", WORDS);
    k->each = mentions(k->word, "{prompt}") && mentions(k->word, "{answer}");
    const bool all = mentions(k->word, "{prompts}") && mentions(k->word, "{answers}");
    if (k->each != all && n > 0) return 0;
    char unknown[80];
    find_unknown(k->word, unknown);
    return cli_usage(&command, "--exec: expected both {prompt} and {answer}, or both {prompts} and {answers}%s",
                     unknown);
}

int cmd_check(int argc, char **argv)
{
    static check k;
    cli p = cli_start(&command, argc, argv);
    const char *value;
    int status = 0;
    k = (check){.judge = judge_defaults(&command), .seed = 1, .seeds = 1, .timeout = 300, .shrink = 20};
    for (int option; status == 0 && (option = cli_next(&p, &value)) != CLI_END;) {
        if (option == CLI_STOP) return p.status;
        status = take_option(&k, option, value);
    }
    if (status == 0) status = parse_exec(&k);
    if (status == 0 && k.cases && (k.text || k.suites.count > 0 || k.seeded))
        status = cli_usage(&command, "--cases leaves nothing to generate: no --suite, --seed or --text with it");
    if (status == 0) status = cli_check_where(&command, &k.judge.where, &k.judge.ops);
    if (status == 0 && k.precisions.count > 0)
        status = run_precisions(&k);
    else if (status == 0) {
        status = judge_prepare(&k.judge);
        if (status == 0) status = run_check(&k);
    }
    for (int i = 0; k.word[i]; i++) free(k.word[i]);
    return status;
}
