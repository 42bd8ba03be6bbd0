/* See work.h. */
#include <errno.h>
#include <flint/flint.h>
#include <ftw.h>
#include <gmp.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "work.h"

/* --- signals ----------------------------------------------------------------------------------------------------- */

volatile sig_atomic_t work_caught;

static void catch_signal(int number) { work_caught = number; }

static void set_signals(void (*handler)(int))
{
    const struct sigaction action = {.sa_handler = handler};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

void work_catch_signals(void) { set_signals(catch_signal); }

void work_default_signals(void) { set_signals(SIG_DFL); }

void work_nap(long milliseconds) { nanosleep(&(struct timespec){.tv_nsec = milliseconds * 1000000}, NULL); }

double work_seconds_since(const struct timespec *then)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - then->tv_sec) + 1e-9 * (double)(now.tv_nsec - then->tv_nsec);
}

/* --- folders ----------------------------------------------------------------------------------------------------- */

/* The folder that is removed whatever happens, and whose it is. */
static char scratch[4096];
static pid_t scratch_owner;

static int remove_entry(const char *path, const struct stat *s, int type, struct FTW *f)
{
    (void)s;
    (void)type;
    (void)f;
    return remove(path);
}

void work_remove(const char *path)
{
    /* What a killed program was just writing may still appear for a moment. */
    for (int i = 0; i < 20 && nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT; i++)
        work_nap(5);
}

static void remove_scratch(void)
{
    if (*scratch && getpid() == scratch_owner) work_remove(scratch);
}

void work_scratch(const char *path)
{
    static bool registered;
    if (!registered) registered = atexit(remove_scratch) == 0;
    snprintf(scratch, sizeof scratch, "%s", path ? path : "");
    scratch_owner = getpid();
}

int work_make_in(const char *base, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", base, name);
    return mkdir(path, 0777) == 0 ? 0 : cli_input("%s: cannot be made: %s", path, strerror(errno));
}

int work_make(const char *keep, char *path, size_t room)
{
    if (keep) {
        if ((size_t)snprintf(path, room, "%s", keep) >= room) return cli_input("--keep: the name is too long");
        if (mkdir(path, 0777) == 0 || (errno == EEXIST && rmdir(path) == 0 && mkdir(path, 0777) == 0)) return 0;
        return cli_input("--keep %s: cannot be made: %s (a new or empty folder is expected)", path, strerror(errno));
    }
    const char *base = getenv("TMPDIR");
    if ((size_t)snprintf(path, room, "%s/smoeref-XXXXXX", base && *base ? base : "/tmp") >= room ||
        room > sizeof scratch)
        return cli_input("TMPDIR: the name is too long");
    if (!mkdtemp(path)) return cli_input("%s: cannot be made: %s", path, strerror(errno));
    work_scratch(path);
    return 0;
}

/* --- memory ------------------------------------------------------------------------------------------------------ */

/* Where memory is exhausted, the twin, GMP, MPFR, FLINT and GSL end the program with abort(), and jansson leaves a hole in
 * what it makes.  This ends it as the rest does: with a message, and the status of what cannot be used. */
static _Noreturn void out_of_memory(void)
{
    static const char message[] = "smoeref: out of memory\n";
    if (write(STDERR_FILENO, message, sizeof message - 1) < 0) { /* then it cannot be said */
    }
    remove_scratch();
    _exit(STATUS_INPUT);
}

static void *allocate(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (!p) out_of_memory();
    return p;
}

static void *allocate_zeros(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);
    if (!p) out_of_memory();
    return p;
}

static void *resize(void *old, size_t n)
{
    void *p = realloc(old, n ? n : 1);
    if (!p) out_of_memory();
    return p;
}

static void *resize_gmp(void *old, size_t before, size_t n)
{
    (void)before;
    return resize(old, n);
}

static void free_gmp(void *p, size_t n)
{
    (void)n;
    free(p);
}

/* What calls abort() for want of memory does so right after the allocation has failed. */
static void aborted(int number)
{
    (void)number;
    if (errno == ENOMEM) out_of_memory();
}

void work_guard_memory(void)
{
    json_set_alloc_funcs(allocate, free);
    mp_set_memory_functions(allocate, resize_gmp, free_gmp); /* MPFR's too */
    __flint_set_memory_functions(allocate, allocate_zeros, resize, free);
    signal(SIGABRT, aborted);
}

/* --- golden cases ------------------------------------------------------------------------------------------------ */

int work_generate(const gen_options *g)
{
    fflush(NULL);
    const pid_t pid = fork();
    if (pid < 0) return cli_input("no process could be started: %s", strerror(errno));
    if (pid == 0) {
        work_default_signals();
        const int status = gen_cases(g);
        fflush(NULL);
        _exit(status);
    }
    int status = 0;
    bool told = false;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (work_caught && !told) kill(pid, SIGTERM);
        told = work_caught;
        work_nap(3);
    }
    if (work_caught) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : cli_input("the generation of cases was ended by a signal");
}
