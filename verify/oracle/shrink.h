/* Smaller and simpler cases than one that an implementation fails: what `check` tries where nothing explains a failure. */
#ifndef SMOEREF_ORACLE_SHRINK_H
#define SMOEREF_ORACLE_SHRINK_H

#include "verdict.h"

/* A simpler case, with the reference's outputs and gradients. */
typedef struct {
    op_case *c;
    char *what; /* "T=1", "k=1", "x rounded" */
} shrink_step;

typedef struct {
    size_t steps;
    shrink_step *step; /* the boldest first */
} shrink_list;

/* What is simpler than c by one step: fewer of one size, or of all; a smaller or the default parameter; an input or cotangent
 * of zeros, of ones, of whole numbers, with one element 0; an optional input of ones.  Only what the reference accepts. */
shrink_list shrink_propose(const op_case *c);
void shrink_list_clear(shrink_list *l);

/* A copy of c with these sizes (by index of c->dim_name; those that no input has are ignored) and parameters: what is left of every
 * input and cotangent.  Not yet run.  NULL: the operation does not take them. */
op_case *shrink_to(const op_case *c, const size_t *size, const double *number, const char *const *choice);

/* Does the small case fail as the large one does: some tensor that failed there by its values fails here too, and not for want of an
 * order among equals, which was in order there? */
bool shrink_fails_alike(const verdict_case *large, const verdict_case *small);

/* The case as lines of text: sizes, parameters that are not the default, inputs (of an optional one not all ones), cotangents that are
 * not 0.  malloc'd. */
char *shrink_text(const op_case *c);

#endif
