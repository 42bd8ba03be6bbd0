/* What the operations of chapters K, S and T read, refuse and decide on, told to fuzz_ops.c from the spec and the headers of
 * these chapters.  Functions of other chapters' cases answer as if there were nothing to tell. */
#ifndef SMOEREF_FUZZ_DOMAINS_H
#define SMOEREF_FUZZ_DOMAINS_H

#include <stdbool.h>
#include <stddef.h>

#include "op.h"

/* Does an evaluation read the number e of input i, or of the cotangent of output i? */
bool domain_reads(const op_case *c, size_t i, size_t e);
bool domain_reads_cotangent(const op_case *c, size_t i);

/* For inputs that are finite: false if the case has to be refused, because a value is out of its range, or what is asked for
 * is not defined in exact arithmetic already (nothing varies, a median distance of 0, too few samples, a crowded cell). */
bool domain_holds(const op_case *c);

/* For a case in the domain: may rounding make it one that is not defined?  A norm, a pivot or a variance is 0 within the
 * bounds of binary64, or something underflows. */
bool domain_doubtful(const op_case *c);

/* Are all numbers of a size with which nothing overflows?  Never so in other chapters. */
bool domain_mild(const op_case *c);

/* The scores [T,N] that output i is decided on, as the reference computes them, for free(); NULL if they are an input or an
 * output, or no numbers that the rule of (N.25) goes by. */
double *domain_scores(const op_case *c, size_t i);

#endif
