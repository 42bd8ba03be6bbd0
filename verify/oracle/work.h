/* The private folder of a run, the golden cases in it, and the signals that end it: what `check` and `ver` share; and the end where
 * memory is exhausted. */
#ifndef SMOEREF_ORACLE_WORK_H
#define SMOEREF_ORACLE_WORK_H

#include <signal.h>
#include <time.h>

#include "cmd.h"

extern volatile sig_atomic_t work_caught; /* the signal that came, or 0 */
void work_catch_signals(
    void); /* SIGINT, SIGTERM and SIGHUP: into work_caught; a system call that waits ends with EINTR */
void work_default_signals(void);
void work_nap(long milliseconds);
double work_seconds_since(const struct timespec *then); /* of the monotonic clock */

/* A new folder: `keep` if it is given (new or empty, so that no old answer is judged), else one of TMPDIR.  Its name in
 * path.  0, or STATUS_INPUT. */
int work_make(const char *keep, char *path, size_t room);
int work_make_in(const char *base, const char *name); /* base/name */
void work_remove(const char *path); /* with all that is in it */

/* A folder that this process removes when it ends, wherever that is; NULL: none. */
void work_scratch(const char *path);
/* From here on the process ends with a message and STATUS_INPUT where it would abort for want of memory, or jansson finds none. */
void work_guard_memory(void);

/* gen_cases() in a process of its own, so that it may clean up after itself whatever happens to it.  An exit status, or
 * -1 if interrupted. */
int work_generate(const gen_options *g);

#endif
