/* Faults put under a program from outside, by LD_PRELOAD (see disturb.py):
 *
 *   DISTURB_ROUNDING=upward|downward|zero|ftz|daz|flush|i387
 *                                                         this state of the floating-point unit before main() begins
 *   DISTURB_SHORT=N                                        every write takes N bytes at most
 *   DISTURB_ALLOCATIONS=FILE                               allocations are counted in FILE, a `board`; one of them fails
 *
 * The programs that it starts in turn run without faults; its forked workers share its count. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <fenv.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#if defined __x86_64__ || defined __i386__
#include <xmmintrin.h>
#endif

enum { SITES = 1 << 16, DEPTH = 8, SKIPPED = 2 };

/* A site is where an allocation comes from: its callers, as a hash. */
typedef struct {
    atomic_ullong count; /* of allocations so far */
    uint64_t failing; /* the number of the one that fails, from 1; 0: none */
    uint64_t per_site; /* how many of each site are noted; 0: none, and no site is */
    atomic_ullong noted;
    struct {
        uint64_t hash, seen;
    } site[SITES];
    uint64_t note[]; /* the numbers of the allocations noted */
} board;

static board *shared;
static size_t notes;
static size_t most_written;

static void set_rounding(const char *name)
{
    if (strcmp(name, "upward") == 0) fesetround(FE_UPWARD);
    if (strcmp(name, "downward") == 0) fesetround(FE_DOWNWARD);
    if (strcmp(name, "zero") == 0) fesetround(FE_TOWARDZERO);
#if defined __x86_64__ || defined __i386__
    if (strcmp(name, "ftz") == 0) _mm_setcsr(_mm_getcsr() | 0x8000);
    if (strcmp(name, "daz") == 0) _mm_setcsr(_mm_getcsr() | 0x0040);
    if (strcmp(name, "flush") == 0) _mm_setcsr(_mm_getcsr() | 0x8040);
    if (strcmp(name, "i387") == 0) __asm__ volatile("fldcw %0" : : "m"((const uint16_t){0x027f})); /* 53 bits */
#endif
}

__attribute__((constructor)) static void begin(void)
{
    const char *rounding = getenv("DISTURB_ROUNDING"), *allocations = getenv("DISTURB_ALLOCATIONS"),
               *most = getenv("DISTURB_SHORT");
    if (most) most_written = strtoul(most, NULL, 10);
    if (rounding) set_rounding(rounding);
    unsetenv("LD_PRELOAD");
    if (!allocations) return;
    void *frame[1];
    backtrace(frame, 1); /* its first call loads a library */
    const int fd = open(allocations, O_RDWR);
    const off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    if (size < (off_t)sizeof(board)) _exit(97);
    board *b = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (b == MAP_FAILED) _exit(97);
    notes = ((size_t)size - sizeof(board)) / sizeof b->note[0];
    shared = b;
}

/* --- allocations ------------------------------------------------------------------------------------------------- */

static void note(uint64_t number)
{
    static _Thread_local bool within; /* what backtrace allocates is not looked at */
    void *frame[DEPTH];
    if (within) return;
    within = true;
    const int n = backtrace(frame, DEPTH);
    within = false;
    uint64_t hash = 14695981039346656037u;
    for (int i = SKIPPED; i < n; i++) hash = (hash ^ (uintptr_t)frame[i]) * 1099511628211u;
    hash |= 1;
    size_t at = hash >> 48;
    while (shared->site[at].hash && shared->site[at].hash != hash) at = (at + 1) % SITES;
    shared->site[at].hash = hash;
    if (shared->site[at].seen++ >= shared->per_site) return;
    const uint64_t place = atomic_fetch_add(&shared->noted, 1);
    if (place < notes) shared->note[place] = number;
}

static bool fails(void)
{
    if (!shared) return false;
    const uint64_t number = atomic_fetch_add(&shared->count, 1) + 1;
    if (shared->per_site) note(number);
    if (number == shared->failing && getenv("DISTURB_SHOW")) {
        void *frame[DEPTH];
        backtrace_symbols_fd(frame, backtrace(frame, DEPTH), 2);
    }
    if (number == shared->failing) errno = ENOMEM;
    return number == shared->failing;
}

/* The next in line is the C library's, or AddressSanitizer's.  dlsym itself may allocate, before there is a next one. */
static _Alignas(16) unsigned char early[4096];
static size_t early_used;
static void *early_bytes(size_t n)
{
    const size_t room = (n + 15) / 16 * 16;
    if (room > sizeof early - early_used) _exit(97);
    early_used += room;
    return early + early_used - room;
}

static void *(*next_malloc)(size_t), *(*next_calloc)(size_t, size_t), *(*next_realloc)(void *, size_t);
static void (*next_free)(void *);

static bool ready(void)
{
    static bool looking;
    if (next_free) return true;
    if (looking) return false;
    looking = true;
    *(void **)&next_malloc = dlsym(RTLD_NEXT, "malloc");
    *(void **)&next_calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&next_realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&next_free = dlsym(RTLD_NEXT, "free");
    looking = false;
    return true;
}

void *malloc(size_t n)
{
    if (!ready()) return early_bytes(n);
    return fails() ? NULL : next_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    if (!ready()) return early_bytes(n * size);
    return fails() ? NULL : next_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    if (!ready()) _exit(97);
    return fails() ? NULL : next_realloc(p, n);
}

void free(void *p)
{
    if ((unsigned char *)p >= early && (unsigned char *)p < early + sizeof early) return;
    if (ready()) next_free(p);
}

/* --- short writes ------------------------------------------------------------------------------------------------ */

ssize_t write(int fd, const void *bytes, size_t n)
{
    static ssize_t (*next)(int, const void *, size_t);
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "write");
    return next(fd, bytes, most_written && n > most_written ? most_written : n);
}
