/* CKA of every pair of the matrices of a dump (spec/06-similarity.md, K.1 to K.12), without having the dump in memory.
 *
 * Three ways, by the request:
 *   features   linear kernel, any n: the moments of (K.10) and (K.11), block after block; the memory does not depend on n.
 *              Sums that belong to one matrix are taken once, not once a pair, and give the same bits.  Pairs whose moments
 *              do not fit in the memory together are taken in several passes over the files.
 *   gram       any kernel: whole Gram matrices, as many at a time as the memory holds
 *   minibatch  any kernel, any n: Gram matrices of batches of consecutive rows, one pass (K.12)
 *
 * Intervals: the batches' HSIC_1 are resampled with replacement, all pairs under the same draw, and the ratio of means
 * (K.12) is taken anew; quantiles of these ratios, less the ratio of all batches, are added to the CKA reported.
 */
#ifndef SMOEREF_ORACLE_SIMILARITY_MATRIX_H
#define SMOEREF_ORACLE_SIMILARITY_MATRIX_H

#include "dump.h"
#include "similarity.h"

typedef enum { SIMILARITY_BY_COST, SIMILARITY_BY_FEATURES, SIMILARITY_BY_GRAM } similarity_route;

typedef struct {
    smoe_similarity how; /* kernel and estimator; its route and divisor are not looked at */
    bool minibatch; /* (K.12) in the place of the estimator */
    size_t batch; /* rows of a batch; 0: similarity_batch() */
    similarity_route route; /* by cost: features where that is fewer numbers than Gram matrices */
    size_t memory; /* bytes for what grows with n, p or the number of pairs */
    size_t replicates; /* of the bootstrap; 0: no intervals */
    double level;
    uint64_t seed;
    void (*progress)(const char *what, size_t done, size_t all); /* may be NULL */
} similarity_request;

typedef struct {
    size_t R, n; /* representations; samples */
    bool by_features; /* the route that was taken (not for minibatch) */
    size_t batch, batches; /* 0 if there were none; the rows beyond batch * batches are in no batch */
    size_t passes; /* over the files */
    double *cka; /* [R,R] symmetric, 1 on the diagonal */
    double *lower, *upper; /* [R,R], or NULL without bootstrap */
} similarity_result;

/* Rows of a batch if nobody says: 256, but fewer for 32 batches, and at least 8. */
size_t similarity_batch(size_t n);

/* 0, or -1 with one line in err, and then there is nothing to clear. */
int similarity_matrix(dump *d, const similarity_request *q, similarity_result *r, char *err, size_t errlen);
void similarity_clear(similarity_result *r);

#endif
