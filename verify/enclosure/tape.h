/* A tape over balls: tensor-level primitives, each with its forward and its reverse, and the roundings of a precision.
 *
 * Every node is a matrix [rows, cols] of Arb balls, row-major; a tensor of higher rank is a matrix with its leading
 * dimensions in the rows.  Nodes belong to the tape.  tape_backward() runs over the nodes in reverse order of
 * creation.
 *
 * Without a profile each ball encloses the exact value.  With one, each ball encloses what any correct implementation
 * in that precision computes, whichever order it adds in and whether or not it fuses:
 *
 *   operation      radius += u |v|, in the arithmetic, and once more in the storage when that is coarser
 *   n-term sum     radius += gamma |terms|_1,  gamma = n u / (1 - n u); a product inside a sum counts as one more term
 *   m gradients    meeting at a node are added in any order and stored after each addition
 *   underflow      a result below the normal range errs by at most the format's underflow
 *   overflow       a value that may exceed the largest one of the format is unknown: infinite radius
 *   nothing        where the operands are exact and every partial result, in any order, is representable
 *
 * The last line is what makes a bound 0 on crafted vectors.  u, storage and arithmetic: twin.h.
 */
#ifndef SMOEREF_ENCLOSURE_TAPE_H
#define SMOEREF_ENCLOSURE_TAPE_H

#ifdef HAVE_CONFIG_H
#include <config.h>
#endif
#ifdef HAVE_FLINT_ARB_H
#include <flint/arb.h>
#else
#include <arb.h>
#endif

#include <stdbool.h>
#include <stddef.h>

#include "twin.h"

typedef struct tape tape;
typedef struct tape_plan tape_plan;
typedef struct tape_node tape_node;

/* What the rounding error of a sum depends on: the terms' magnitudes (upper bound), the exponent of the finest bit
 * that any of them has, how many of them are not 0, and whether all of them are exact. */
typedef struct {
    double magnitude;
    long grid;
    unsigned long terms;
    bool exact;
} tape_tally;

struct tape_node {
    size_t rows, cols;
    arb_ptr v;          /* values */
    arb_ptr g;          /* gradient; NULL until something contributes to it */
    tape_tally *tally;  /* of the contributions to g */
    double *beside;     /* radii that g has by other routes: the largest counts; NULL: none */
    bool wants;         /* a gradient is asked of it, or of a leaf below it */
    bool leaf;
    tape_node *base;    /* the node that owns a view's storage; itself otherwise */
    size_t offset;      /* of the view's first element in base */
    tape_node *a, *b;   /* operands */
    tape_node **part;   /* operands of a concatenation */
    size_t parts;
    void (*back)(tape *t, tape_node *y);
    int kind;           /* which function, operation, orientation or axis */
    size_t n;           /* divisor, group size */
    size_t *index;
    double constant, *array;
    size_t number;      /* nodes that were made before it */
    bool named;         /* a tensor of the operation: who plans roundoffs looks no further */
    const twin_profile *stored; /* of a leaf: what its gradient is kept in; NULL: in what the leaf is */
    tape_node *next, *previous;
};

tape *tape_new(const twin_profile *profile, long prec);
void tape_free(tape *t);
/* The products and sums from here on take some of n rows, and others take the rest: the gradient of an operand that they
 * share may also be one sum over all n.  0: they take all that there are. */
void tape_together(tape *t, size_t n);

/* --- roundoffs node by node --- */
/* Made from a first evaluation, followed by a second one that makes the same nodes in the same order. */
tape_plan *tape_plan_new(const tape *t);
void tape_plan_free(tape_plan *p);
/* y and everything between it and the next named nodes is computed in this profile; what is so by several has the coarsest
 * of each roundoff. */
void tape_plan_add(tape_plan *plan, const tape_node *y, const twin_profile *profile);
void tape_plan_level(tape_plan *plan, const twin_profile *profile); /* the coarsest of all for every node, known or not */
bool tape_plan_fits(const tape_plan *plan, const tape *t); /* has the second evaluation made the same nodes? */
void tape_follow(tape *t, const tape_plan *plan);
void tape_use(tape *t, const twin_profile *profile); /* what tape_seed() rounds to */

/* --- what is given --- */
/* A value that the storage cannot hold is rounded to it once: a candidate reads its inputs in its own format. */
tape_node *tape_leaf(tape *t, size_t rows, size_t cols, const double *x, bool wants);
/* count[i] / n, as a candidate has it: one division, or a product with a rounded 1/n */
tape_node *tape_ratio(tape *t, size_t rows, size_t cols, const size_t *count, size_t n);
tape_node *tape_fill(tape *t, size_t rows, size_t cols, double x);

/* --- the same numbers elsewhere: no rounding forward --- */
tape_node *tape_view(tape *t, tape_node *a, size_t first_row, size_t rows, size_t cols); /* rows of a, reshaped */
tape_node *tape_stop(tape *t, tape_node *a);                                           /* no gradient passes */
tape_node *tape_gather_rows(tape *t, tape_node *a, size_t n, const size_t *row);       /* y[i] = a[row[i]] */
tape_node *tape_gather_cols(tape *t, tape_node *a, size_t n, const size_t *col);       /* y[i,j] = a[i, col[i*n+j]] */
tape_node *tape_scatter_cols(tape *t, tape_node *a, size_t cols, const size_t *col);   /* the converse; 0 elsewhere */
tape_node *tape_concat_rows(tape *t, size_t n, tape_node *const *a);
tape_node *tape_concat_cols(tape *t, size_t n, tape_node *const *a);

/* --- linear --- */
tape_node *tape_matmul_nn(tape *t, tape_node *a, tape_node *b); /* a[m,k] b[k,n] */
tape_node *tape_matmul_nt(tape *t, tape_node *a, tape_node *b); /* a[m,k] b[n,k]^T */
tape_node *tape_matmul_tn(tape *t, tape_node *a, tape_node *b); /* a[k,m]^T b[k,n] */
enum { TAPE_ROWS, TAPE_COLS, TAPE_ALL }; /* the axis that a sum removes */
tape_node *tape_sum(tape *t, tape_node *a, int axis);
tape_node *tape_mean(tape *t, tape_node *a, int axis, size_t n);     /* sum over the axis, divided by n */
tape_node *tape_sum_groups(tape *t, tape_node *a, size_t n);         /* of n rows, stored after each addition */
tape_node *tape_scale(tape *t, tape_node *a, double c);              /* c may be rounded by the candidate */
tape_node *tape_offset(tape *t, tape_node *a, const double *c, bool maximum);
/* y[i,j] = a[i,j] + c[i]; maximum: -c[i] stands for the maximum of row i, which a candidate computes for itself */

/* --- elementwise; an operand with one row or one column is repeated along it --- */
tape_node *tape_add(tape *t, tape_node *a, tape_node *b);
tape_node *tape_sub(tape *t, tape_node *a, tape_node *b);
tape_node *tape_mul(tape *t, tape_node *a, tape_node *b);
tape_node *tape_div(tape *t, tape_node *a, tape_node *b);

typedef enum {
    TAPE_EXP, TAPE_EXPM1, TAPE_LOG, TAPE_LOG1P, TAPE_TANH, TAPE_ERF, TAPE_ERFC, TAPE_SQUARE, TAPE_RELU, TAPE_SIGMOID,
    TAPE_SOFTPLUS, TAPE_SOFTPLUS20, TAPE_SILU, TAPE_GELU, TAPE_GELU_TANH, TAPE_NORMAL_CDF, TAPE_NORMAL_PDF,
    TAPE_SQRT, TAPE_XLOGX
} tape_function; /* SOFTPLUS20: the identity beyond 20, a known wrong variant; XLOGX: x log x, 0 at 0 */
tape_node *tape_apply(tape *t, tape_function f, tape_node *a);
/* The largest element of each row, [rows, 1].  The gradient goes to it; where the balls leave open which one it is,
 * each of those in question gets a share in [0,1].  Among elements that are equal in the exact run, the first gets it. */
tape_node *tape_max(tape *t, tape_node *a);
tape_node *tape_norm(tape *t, tape_node *a); /* L2 norm of each row; the gradient at an exact zero row is 0 */
/* y[i,j] = |a_i - a_j|^2 of the rows of a[n,p].  A candidate may take the differences, or square their norm, or expand
 * |a_i|^2 + |a_j|^2 - 2 <a_i, a_j> of rows that are centred or lie no farther from 0 than four times their spread. */
tape_node *tape_distances(tape *t, tape_node *a);
/* The element of rank k among all elements of a in ascending order, k from 0, [1, 1].  The gradient as in tape_max. */
tape_node *tape_kth(tape *t, tape_node *a, size_t k);

/* --- fairness and mistakes --- */
/* The value with forward[i] added to its radius, and a gradient with reverse[i] of its magnitude added; either may be
 * NULL. */
tape_node *tape_slack(tape *t, tape_node *a, const double *forward, const double *reverse);
/* One number by two routes, both of them right: the ball that holds either.  The gradient goes to both; b is to be made of
 * nodes that tape_aside() gave, so that what arrives below is the gradient by a and the doubts of both. */
tape_node *tape_either(tape *t, tape_node *a, tape_node *b);
/* a, for one route more.  Of its gradient the radius alone goes on, about 0, and of several routes' the largest. */
tape_node *tape_aside(tape *t, tape_node *a);
/* y, one number made of nodes that tape_open() gave and of constants: how uncertain the gradient of y is reaches those nodes
 * as one factor that all terms of their gradients share, and not as a doubt of each term. */
tape_node *tape_open(tape *t, tape_node *a);
tape_node *tape_close(tape *t, tape_node *y, size_t n, tape_node *const *opened);
/* The value as it is and the gradient times c: the mistake of a badly scaled gradient. */
tape_node *tape_scale_gradient(tape *t, tape_node *a, double c);

/* --- reverse --- */
void tape_seed(tape *t, tape_node *a, const double *cotangent); /* adds it to a's gradient */
void tape_backward(tape *t);
arb_srcptr tape_gradient(const tape_node *a);                   /* NULL if it is 0 */

/* --- magnitudes, for slack --- */
bool tape_rounds(const tape *t);                       /* a profile is given */
double tape_upper(const tape_node *a, size_t element); /* at least |value| */
double tape_middle(const tape_node *a, size_t element);
/* The largest of all nodes': */
double tape_u(const tape *t);                          /* one operation and its store, relative; 0 without a profile */
double tape_elementary(const tape *t);                 /* one elementary function and its store, relative */
double tape_arithmetic(const tape *t);                 /* one operation that is not stored, relative */
/* Of the node that is made next: for the slack of nothing else. */
double tape_u_next(const tape *t);
double tape_elementary_next(const tape *t);

#endif
