/* A test that counts what malloc has given out, in a process of its own: its caches would blur that. */
#ifndef SMOEREF_TESTS_OWN_PROCESS_H
#define SMOEREF_TESTS_OWN_PROCESS_H

#include <check.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Does LD_PRELOAD name such a library: Valgrind's, a sanitizer's? */
static bool is_preloaded(const char *library)
{
    const char *preloaded = getenv("LD_PRELOAD");
    return preloaded && strstr(preloaded, library);
}

/* True in that process, which runs the test case "memory" of the program alone; elsewhere false, after it has ended well.  (Under the
 * sanitizers the count is 0 throughout: they look for lost memory themselves.  So does Valgrind, which cannot be begun anew.) */
static bool in_own_process(const char *program)
{
    int status;
    if (getenv("SMOE_COUNT_MEMORY")) return true;
    if (is_preloaded("vgpreload")) return false;
    const pid_t child = fork();
    if (child == 0) {
        setenv("SMOE_COUNT_MEMORY", "1", 1);
        setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", 1);
        setenv("CK_RUN_CASE", "memory", 1);
        unsetenv("CK_TAP_LOG_FILE_NAME");
        dup2(2, 1);
        execl("/proc/self/exe", program, (char *)NULL);
        _exit(127);
    }
    ck_assert(child > 0 && waitpid(child, &status, 0) == child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "memory is lost: see above");
    return false;
}

/* Bytes in the heap, and in pieces so large that they are mapped. */
static size_t given_out(void)
{
    const struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

/* `life` leaves nothing, once it has been lived some times. */
static void keeps_nothing(void (*life)(void), int times)
{
    for (int i = 0; i < times; i++) life();
    const size_t before = given_out();
    for (int i = 0; i < times; i++) life();
    const size_t after = given_out();
    ck_assert_msg(after <= before, "%zu bytes stay", after - before);
}

#endif
