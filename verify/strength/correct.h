/* A correct implementation, of which there are many: the twin's equations on a tape of plain numbers, each operation rounded
 * to the formats of a profile, in one of several ways of adding up and fusing (correct_tape.c).  correct.c judges it.
 *
 * The chapters of the twin are compiled a second time for it, under other names, against that tape. */
#ifndef SMOEREF_STRENGTH_CORRECT_H
#define SMOEREF_STRENGTH_CORRECT_H

#include <stdbool.h>
#include <stdint.h>

#include "twin.h"

enum correct_ways {
    WAY_ORDER, WAY_REVERSED, WAY_PAIRWISE, WAY_BLOCKS_4, WAY_BLOCKS_16, WAY_BLOCKS_32, WAY_STRIDED, WAY_KAHAN,
    WAY_FUSED, WAY_SPLIT_K, WAY_SHUFFLED, WAY_RANDOM, WAYS
};
enum correct_faults { FAULT_NONE, FAULT_ROUNDING, FAULT_SUM, FAULT_EXP, FAULT_STORE };

/* How the next evaluation computes. */
typedef struct {
    int way;
    bool stores;  /* every step between tensors writes its result in the storage; else only the operation's own tensors are */
    bool flushes; /* results below the normal range are 0, where the format allows that */
    bool other;   /* the second form of a function that has two */
    uint64_t seed;
    int fault;    /* negative control: one kind of rounding is worse than promised */
} correct_way;
extern correct_way correct_how;

/* twin_run() of numbers: hi are the values, by correct_how. */
int correct_twin_run(const op_case *c, const twin_profile *p, const char *variant, long prec, twin_result *r, char *err,
                     size_t errlen);
double correct_stored(const twin_profile *p, double x);

#endif
