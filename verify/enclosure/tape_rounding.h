/* What tape.c and tape_apply.c share; not for others. */
#ifndef SMOEREF_ENCLOSURE_TAPE_ROUNDING_H
#define SMOEREF_ENCLOSURE_TAPE_ROUNDING_H

#include "tape.h"

struct tape {
    const twin_profile *profile; /* of the node at hand; NULL: enclose the exact values */
    const twin_profile *rest; /* of the nodes that the plan does not know */
    const tape_plan *plan; /* NULL: all nodes have one profile */
    size_t nodes;
    double most_w, most_e, most_u; /* the largest of all nodes' w, e and unit roundoff of the arithmetic */
    long prec;
    bool coarse; /* the storage does not hold all numbers of the arithmetic */
    size_t together; /* of how many rows this is a part; 0: of those there are */
    double w; /* one operation and its store, relative */
    double e; /* one elementary function and its store, relative */
    double floor; /* an elementary function's result below this may be flushed */
    tape_node *first, *last;
};

typedef void tape_reverse(tape *t, tape_node *y);
tape_node *tape_make(tape *t, size_t rows, size_t cols, tape_node *a, tape_node *b, tape_reverse *back);
void tape_give(tape *t, tape_node *x, size_t e, arb_t c);
void tape_grow(arb_t v, double r);
void tape_settle(const tape *t, arb_t v);
double tape_upper_of(arb_srcptr v);

#endif
