/* See work.h. */
#include <errno.h>
#include <ftw.h>
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

/* --- folders ----------------------------------------------------------------------------------------------------- */

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
    if ((size_t)snprintf(path, room, "%s/smoeref-XXXXXX", base && *base ? base : "/tmp") >= room)
        return cli_input("TMPDIR: the name is too long");
    return mkdtemp(path) ? 0 : cli_input("%s: cannot be made: %s", path, strerror(errno));
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
