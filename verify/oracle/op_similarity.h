/* What the records of similarities and of SimSMoE share: the parameters of a kernel and of HSIC, and what they mean. */
#ifndef SMOEREF_ORACLE_OP_SIMILARITY_H
#define SMOEREF_ORACLE_OP_SIMILARITY_H

#include "op.h"
#include "similarity.h"

#define KERNEL_PARAMETERS(what)                                                                                        \
    {"kernel", OP_CHOICE, "linear|rbf", what},                                                                         \
        {"sigma", OP_REAL, "0.8", "rbf: the square root of the bandwidth, or the factor before the median distance"},  \
        {"bandwidth", OP_CHOICE, "absolute|median", "sigma as it is, or as a fraction of the median distance"},        \
        {"diagonal", OP_CHOICE, "with|without", "the median of all n x n distances, or of those off the diagonal"},    \
        {"middle", OP_CHOICE, "mean|lower", "of an even number: the mean of the middle two, or the lower one"},        \
        {"median", OP_CHOICE, "distance|square",                                                                       \
         "bandwidth = (sigma median distance)^2, or sigma^2 times the median squared distance"},                       \
    {                                                                                                                  \
        "detach", OP_CHOICE, "yes|no", "a bandwidth from the median is a constant of the gradient, or trained"         \
    }

#define ESTIMATOR_PARAMETER                                                                                            \
    {                                                                                                                  \
        "estimator", OP_CHOICE, "biased|unbiased|debiased", "HSIC_0; HSIC_1 by Song's sums; HSIC_1 by U-centring"      \
    }

smoe_similarity similarity_meant(const op_case *c); /* by Gram matrices; unbiased, whatever an estimator says */
smoe_estimator similarity_estimator(const op_case *c);
const char *similarity_sigma(const op_case *c); /* NULL, or what is wrong */

#endif
