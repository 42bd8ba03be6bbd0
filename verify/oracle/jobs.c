/* Independent pieces of work in forked workers (see cmd.h). */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"

typedef struct {
    int status;
    char message[JOB_MESSAGE];
} result;

/* Shared by the workers: the next piece to take, how many are done, and what each left. */
typedef struct {
    atomic_size_t next, done;
    result of[];
} board;

enum { unfinished = -1 };

static volatile sig_atomic_t caught;

static void catch_signal(int number) { caught = number; }

/* Ends early if the parent was killed: nobody would collect what is left. */
static void worker(board *b, size_t n, job *work, void *context, pid_t parent)
{
    for (size_t i; getppid() == parent && (i = atomic_fetch_add(&b->next, 1)) < n;) {
        b->of[i].message[0] = '\0';
        b->of[i].status = work(context, i, b->of[i].message);
        atomic_fetch_add(&b->done, 1);
    }
}

/* What is watched while the workers run. */
typedef struct {
    const char *what;
    size_t n, shown;
    const double *cost; /* of each piece, or NULL */
    time_t began;
} progress;

/* " about 3 min left", once a twentieth of the cost has been paid; else nothing. */
static void estimate(const progress *p, const board *b, char text[40])
{
    double paid = 0, total = 0;
    text[0] = '\0';
    if (!p->cost) return;
    for (size_t i = 0; i < p->n; i++) {
        total += p->cost[i];
        if (b->of[i].status != unfinished) paid += p->cost[i];
    }
    if (!(paid >= total / 20)) return;
    const double left = difftime(time(NULL), p->began) * (total - paid) / paid;
    if (left < 90)
        snprintf(text, 40, ", about %.0f s left", left);
    else
        snprintf(text, 40, ", about %.0f min left", left / 60);
}

/* Rewrites the line of progress when there is some; the last call clears it. */
static void show(progress *p, const board *b, size_t done)
{
    char left[40];
    if (!isatty(STDERR_FILENO) || done == p->shown) return;
    estimate(p, b, left);
    if (done < p->n)
        fprintf(stderr, "\r%s %zu/%zu%s\033[K", p->what, done, p->n, left);
    else
        fprintf(stderr, "\r\033[K");
    fflush(stderr);
    p->shown = done;
}

static size_t online(void)
{
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (size_t)n : 1;
}

/* Starts the workers; how many could be started. */
static size_t start(pid_t *pid, size_t workers, board *b, size_t n, job *work, void *context)
{
    const pid_t parent = getpid();
    fflush(NULL);
    for (size_t w = 0; w < workers; w++) {
        pid[w] = fork();
        if (pid[w] < 0) return w;
        if (pid[w] > 0) continue;
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        signal(SIGHUP, SIG_DFL);
        worker(b, n, work, context, parent);
        fflush(NULL);
        _exit(0);
    }
    return workers;
}

/* Waits for the workers.  0; STATUS_INPUT if one of them ended early and has told why; -1 if one died. */
static int wait_all(const pid_t *pid, size_t workers, board *b, progress *p)
{
    bool stopping = false;
    int worst = 0;
    for (size_t left = workers; left > 0;) {
        int status;
        show(p, b, atomic_load(&b->done));
        if (caught && !stopping) {
            stopping = true;
            for (size_t w = 0; w < workers; w++) kill(pid[w], SIGTERM);
        }
        const pid_t ended = waitpid(-1, &status, stopping ? 0 : WNOHANG);
        if (ended == 0)
            usleep(5000);
        else if (ended > 0) {
            left--;
            const bool told = WIFEXITED(status) && WEXITSTATUS(status) == STATUS_INPUT;
            if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                worst = told && worst == 0 ? STATUS_INPUT : told ? worst : -1;
        } else if (errno != EINTR)
            break;
    }
    show(p, b, p->n);
    return worst;
}

static int first_failure(const board *b, size_t n, int workers, const char *what)
{
    if (workers == STATUS_INPUT) return STATUS_INPUT;
    for (size_t i = 0; i < n; i++) {
        if (b->of[i].status == 0) continue;
        if (b->of[i].status == unfinished)
            return cli_input("%s: a worker process died at piece %zu of %zu", what, i + 1, n);
        fprintf(stderr, "smoeref: %s\n", b->of[i].message);
        return b->of[i].status;
    }
    return workers == 0 ? 0 : cli_input("%s: a worker process died", what);
}

void *jobs_share(size_t bytes)
{
    void *p = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

void jobs_unshare(void *p, size_t bytes)
{
    if (p) munmap(p, bytes ? bytes : 1);
}

int jobs_run(int jobs, size_t n, const char *what, job *work, void *context, int *signal_number)
{
    return jobs_run_costs(jobs, n, what, work, context, NULL, signal_number);
}

int jobs_run_costs(int jobs, size_t n, const char *what, job *work, void *context, const double *cost,
                   int *signal_number)
{
    const size_t size = sizeof(board) + n * sizeof(result);
    board *b = jobs_share(size);
    if (!b) return cli_input("out of memory for %zu pieces of work", n);
    for (size_t i = 0; i < n; i++) b->of[i].status = unfinished;
    size_t workers = jobs > 0 ? (size_t)jobs : online();
    if (workers > n) workers = n;
    pid_t *pid = calloc(workers + 1, sizeof *pid);
    struct sigaction old_int, old_term, old_hup, action = {.sa_handler = catch_signal};
    int status = STATUS_INPUT;
    caught = 0;
    sigaction(SIGINT, &action, &old_int);
    sigaction(SIGTERM, &action, &old_term);
    sigaction(SIGHUP, &action, &old_hup);
    const size_t started = pid ? start(pid, workers, b, n, work, context) : 0;
    if (!pid)
        cli_input("%s: out of memory", what);
    else if (started == 0 && n > 0)
        cli_input("%s: no worker process could be started", what);
    else {
        progress p = {.what = what, .n = n, .shown = n + 1, .cost = cost, .began = time(NULL)};
        const int ended = wait_all(pid, started, b, &p);
        status = caught ? STATUS_FAIL : first_failure(b, n, ended, what);
    }
    sigaction(SIGINT, &old_int, NULL);
    sigaction(SIGTERM, &old_term, NULL);
    sigaction(SIGHUP, &old_hup, NULL);
    *signal_number = caught;
    free(pid);
    jobs_unshare(b, size);
    return caught ? -1 : status;
}

_Noreturn void jobs_die(int signal_number)
{
    signal(signal_number, SIG_DFL);
    raise(signal_number);
    _exit(128 + signal_number);
}
