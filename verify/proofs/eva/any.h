/* What may be anything: texts, copies, orders, messages.  For the analyses of this folder, which include it before a reader.
 *
 * What is assumed:
 *   - a text ends with a NUL after at most TEXT bytes, and its bytes are any.  There are two, and any_text() is either of them; both
 *     change whenever one is asked for, so that nothing that was learned of one holds for the next;
 *   - a copy (strdup, strndup) is NULL or a text of its own of any bytes;
 *   - qsort() compares any elements and puts them in any order;
 *   - a message (tensor_fail, snprintf into err) is any text of its room.  What its format prints is not looked at: that the
 *     arguments have the format's types is what the compilers check. */
#ifndef ANY_H
#define ANY_H
#include "__fc_builtin.h"

#include <errno.h>
#include <float.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorfile.h"

#ifndef TEXT
#define TEXT 40
#endif

static char any_texts[2][TEXT + 1];

#ifndef ANY_OWN_TEXT /* the reader's analysis has its own */
static const char *any_text(void)
{
    Frama_C_make_unknown(any_texts[0], TEXT);
    Frama_C_make_unknown(any_texts[1], TEXT);
    return Frama_C_nondet(0, 1) ? any_texts[0] : any_texts[1];
}
#endif

/* A reader must be able to read this text. */
static void any_read(const char *s) { (void)strlen(s); }

/* A reader must be able to read these n bytes. */
static void any_bytes(const void *bytes, size_t n)
{
    const unsigned char *b = bytes;
    /*@ assert readable: n == 0 || \valid_read(b + (0 .. n - 1)); */
    (void)b;
}

/* The C library's, written out, so that their results can be told apart. */
static size_t any_cspn(const char *s, const char *reject)
{
    size_t n = 0;
    while (s[n] != '\0' && s[n] != reject[0] && (reject[0] == '\0' || s[n] != reject[1])) n++;
    return n;
}
#define strcspn any_cspn /* for sets of at most two */

static int any_compared(const char *a, const char *b)
{
#ifdef ANY_COMPARED /* they may be the same or not */
    any_read(a), any_read(b);
    return Frama_C_interval(-255, 255);
#endif
    while (*a != '\0' && *b != '\0' && *a == *b) a++, b++;
    return (unsigned char)*a - (unsigned char)*b;
}
#define strcmp any_compared

static char *any_copied(char *to, const char *from)
{
    size_t n = 0;
    while ((to[n] = from[n]) != '\0') n++;
    return to;
}
#define strcpy any_copied

static char *any_found(const char *s, char c)
{
    while (*s != '\0' && *s != c) s++;
    return *s == c ? (char *)(uintptr_t)s : NULL;
}
#define strchr any_found

#define strpbrk(s, accept)                                                                                             \
    (any_read(s), Frama_C_nondet(0, 1) ? (s) : NULL) /* whether there is one is all that readers ask */

/* strtod() and its like: any number, up to any byte of the text. */
static char *any_end(const char *s)
{
    errno = Frama_C_nondet(0, ERANGE);
    while (*s != '\0' && Frama_C_nondet(0, 1)) s++;
    return (char *)(uintptr_t)s;
}
static void any_parsed(const char *s, char **end)
{
    char *e = any_end(s);
    if (end) *end = e;
}
#define strtod(s, end)         (any_parsed((s), (end)), Frama_C_double_interval(-DBL_MAX, DBL_MAX))
#define strtol(s, end, base)   (any_parsed((s), (end)), Frama_C_long_interval(LONG_MIN, LONG_MAX))
#define strtoll(s, end, base)  (any_parsed((s), (end)), Frama_C_long_long_interval(LLONG_MIN, LLONG_MAX))
#define strtoull(s, end, base) (any_parsed((s), (end)), Frama_C_unsigned_long_long_interval(0, ULLONG_MAX))

static char *any_copy(const char *s)
{
    any_read(s);
    char *copy = Frama_C_nondet(0, 1) ? malloc(TEXT + 1) : NULL;
    if (!copy) return NULL;
    Frama_C_make_unknown(copy, TEXT);
    copy[TEXT] = '\0';
    return copy;
}
#define strdup any_copy

#ifdef ANY_TWO /* elements at most */
static void any_order_of_two(void *base, size_t n, size_t size, int (*compare)(const void *, const void *))
{
    char *b = base, one[64];
    /*@ assert two: n <= 2; */
    if (n < 2) return;
    compare(b, b + size);
    compare(b + size, b);
    if (Frama_C_nondet(0, 1)) return;
    memcpy(one, b, size);
    memcpy(b, b + size, size);
    memcpy(b + size, one, size);
}
#define qsort any_order_of_two
#else
static void any_order(void *base, size_t n, size_t size, int (*compare)(const void *, const void *))
{
    char *b = base, one[64];
    while (n > 0 && Frama_C_nondet(0, 1)) {
        char *x = b + Frama_C_size_t_interval(0, n - 1) * size, *y = b + Frama_C_size_t_interval(0, n - 1) * size;
        compare(x, y);
        memcpy(one, x, size);
        memmove(x, y, size);
        memcpy(y, one, size);
    }
}
#define qsort any_order
#endif

/* A text of n letters, and what comes after them. */
static char *any_letters(char *at, size_t n, char after)
{
    for (size_t i = 0; i < n; i++) at[i] = Frama_C_char_interval('a', 'z');
    at[n] = after;
    return at + n + 1;
}

#ifndef ANY_MESSAGES
static int any_message(char *err, size_t errlen)
{
    Frama_C_make_unknown(err, errlen - 1);
    err[errlen - 1] = '\0';
    return -1;
}
#define tensor_fail(err, errlen, ...) any_message((err), (errlen))
/* What does not fit is cut, and counted all the same. */
#ifdef ANY_EDGE /* nothing, a byte, all of a room but one, all of it, more */
static int any_count(void)
{
    static const int count[] = {0, 1, ANY_EDGE - 1, ANY_EDGE, 1 << 20};
    return count[Frama_C_interval_split(0, 4)];
}
#elif defined ANY_COUNTS /* those below it apart */
static int any_count(void)
{
    return Frama_C_nondet(0, 1) ? Frama_C_interval_split(0, ANY_COUNTS) : Frama_C_interval(ANY_COUNTS + 1, 1 << 20);
}
#else
static int any_count(void) { return Frama_C_interval(0, 1 << 20); }
#endif
#define vsnprintf(to, n, format, arguments) any_message((to), (n))
#ifndef ANY_WIDE
#define snprintf(to, n, ...) (any_message((to), (n)), any_count())
#endif

static const char *any_quote(char *out, const char *name)
{
    any_read(name);
    any_message(out, TENSOR_QUOTED);
    return out;
}
#define tensor_quote any_quote

static const char *any_shape(char *out, size_t rank, const size_t *dim)
{
    if (rank > 0) (void)dim[Frama_C_size_t_interval(0, rank - 1)];
    any_message(out, TENSOR_SHAPE);
    return out;
}
#define tensor_shape_text any_shape
#endif

#ifdef ANY_WIDE /* at most so many bytes are printed */
static int any_size(char *to, size_t n)
{
    const size_t room = n > ANY_WIDE + 1 ? ANY_WIDE + 1 : n;
    Frama_C_make_unknown(to, room - 1);
    to[room - 1] = '\0';
    return Frama_C_interval(1, ANY_WIDE);
}
#define snprintf(to, n, ...) any_size((to), (n))
#endif
#endif
