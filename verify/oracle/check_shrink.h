/* Smaller cases in place of failures that nothing explains: the search that `check` makes with the program it has at hand. */
#ifndef SMOEREF_ORACLE_CHECK_SHRINK_H
#define SMOEREF_ORACLE_CHECK_SHRINK_H

#include "judge.h"

/* Runs the program on the prompts of a folder, on those that it can begin with in so many seconds; the answers go into its folder
 * "answers".  0, an exit status, or -1 if interrupted. */
typedef int shrink_run(void *context, const char *folder, const manifest *m, judge_run *runs, double seconds);

typedef struct {
    const judge_options *judge;
    shrink_run *run;
    void *context;
    const char *golden; /* where the prompts of the cases are */
    const char *work;   /* where there is room */
    bool keep;          /* what is found stays there, as golden cases */
    double seconds;     /* when to give up */
} shrink_search;

/* For each operation (up to a few), the smallest of the n failures that nothing explains gets the smallest case found that fails
 * alike among its details.  0, an exit status, or -1 if interrupted. */
int shrink_failures(const shrink_search *s, verdict_case *v, size_t n);

#endif
