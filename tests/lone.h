/* Where one number alone is beyond the format, or none, the last of its array, is it told?  Arrays of zeros but for their last
 * number: two of them meet in one number of a product, the last one. */
#ifndef SMOEREF_TESTS_LONE_H
#define SMOEREF_TESTS_LONE_H

#include <check.h>
#include <stddef.h>

#include "numerics.h"

#define LONE_BIG 0x1p600 /* its square is infinite */
#define LONE_TOP 0x1.8p1023 /* twice it is */

/* n - 1 zeros and the value, and zeros after it: 160 numbers that are given to nobody else. */
static double *lone(size_t n, double value)
{
    static double all[300][160];
    static size_t given;
    ck_assert_uint_lt(given, 300);
    double *x = all[given++];
    if (n > 0) x[n - 1] = value;
    return x;
}

static double *zeros(void) { return lone(0, 0); }

#define LONE_REFUSED(call)                                                                                             \
    do {                                                                                                               \
        const smoe_status lone_status = call;                                                                          \
        ck_assert_msg(lone_status == SMOE_EDOM, "%s: %s", #call, smoe_strerror(lone_status));                          \
    } while (0)

#define LONE_OVERFLOW(call)                                                                                            \
    do {                                                                                                               \
        const smoe_status lone_status = call;                                                                          \
        ck_assert_msg(lone_status == SMOE_EOVRFLW, "%s: %s", #call, smoe_strerror(lone_status));                       \
    } while (0)

#endif
