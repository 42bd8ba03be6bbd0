/* What the chapters of the twin share: the evaluation under way, and the composites that appear in several of them. */
#ifndef SMOEREF_ENCLOSURE_TWIN_PARTS_H
#define SMOEREF_ENCLOSURE_TWIN_PARTS_H

#include "tape.h"

/* A decision [T, K] as rows of expert numbers below N. */
typedef struct {
    size_t T, K, N;
    size_t *of; /* NULL: the case's decision was out of range, or the operation has none */
} twin_choice;

/* One evaluation.  A chapter's function reads inputs, parameters and decisions, and says which node is which output. */
typedef struct {
    const op_case *c;
    tape *t;
    const twin_profile *profile; /* NULL: the exact values */
    const char *variant; /* NULL: the equation itself */
    tape_node *in[OP_TENSORS], *out[OP_TENSORS], *score[OP_TENSORS];
    twin_choice choice;
    char *err; /* set means failed */
    size_t errlen;
    bool failed;
} twin_eval;

/* A chapter is an array of these, terminated by id == NULL. */
typedef struct {
    const char *id;
    void (*run)(twin_eval *x);
} twin_entry;
extern const twin_entry twin_numerics[], twin_expert[], twin_gate[], twin_layer[], twin_balance[], twin_compete[],
    twin_similarity[], twin_simsmoe[], twin_convergence[];

/* --- twin.c --- */
tape_node *twin_in(twin_eval *x, const char *name); /* leading dimensions in the rows; rank 1 is one row */
/* An input of indices as a choice [T, K] of experts below N, where twin_decide() would read a decision; false as there. */
bool twin_given(twin_eval *x, const char *input, size_t T, size_t K, size_t N);
void twin_out(twin_eval *x, const char *name, tape_node *y);
void twin_scores(twin_eval *x, const char *decision, tape_node *scores);
bool twin_is(const twin_eval *x, const char *variant);
bool twin_chose(const twin_eval *x, const char *param, const char *choice); /* false if there is no such parameter */
/* Numbers as they are, rounded in no precision: integers. */
tape_node *twin_numbers(twin_eval *x, size_t rows, size_t cols, const double *v);
void twin_fail(twin_eval *x, const char *what, const char *name); /* the evaluation ends with "OP: what 'name'" */
/* Reads a decision and checks its range; false (and err is set) if an expert number is out of it. */
bool twin_decide(twin_eval *x, const char *decision, size_t T, size_t K, size_t N);

/* --- composites, in twin_numerics.c --- */
tape_node *twin_softmax(twin_eval *x, tape_node *z); /* over each row */
tape_node *twin_logsumexp(twin_eval *x, tape_node *z); /* [rows, 1] */

/* --- in twin_expert.c --- */
tape_node *twin_ffn(twin_eval *x, size_t expert, tape_node *rows); /* W2 act(W1 x + b1) + b2 of one expert of a layer */
/* The same with the weights' names, {"w1", "b1", "w2", "b2"} of those that the token does not choose. */
tape_node *twin_ffn_of(twin_eval *x, const char *const names[4], size_t expert, tape_node *rows);
tape_node *twin_activated(twin_eval *x, tape_function f, tape_node *a);
tape_node *twin_linear(twin_eval *x, tape_node *rows, tape_node *w, tape_node *b); /* rows W^T + b; b may be NULL */
tape_node *twin_weights(twin_eval *x, tape_node *r); /* [T, K] by the parameter `order` */
tape_node *twin_mirrored(twin_eval *x, tape_node *weight); /* each row backwards */
tape_node *twin_combine(twin_eval *x, tape_node *outputs,
                        tape_node *weight); /* outputs [T K, d] in the order of choice */
tape_node *twin_dispatch(twin_eval *x, tape_node *tokens); /* the chosen experts' outputs [T K, d] */

/* --- in twin_compete.c --- */
tape_node *twin_directions(twin_eval *x, tape_node *o); /* rows o / |o|; a zero row stays 0 and gets no gradient */
tape_node *twin_task(twin_eval *x, tape_node *y); /* mean squared error of y against the input `target` */

/* --- in twin_balance.c --- */
/* N sum_i f_i P_i with f from the choice and P the mean of p over the tokens */
tape_node *twin_switch(twin_eval *x, tape_node *p);
tape_node *twin_probabilities(twin_eval *x, tape_node *r); /* softmax(r), or what a wrong variant takes for it */
tape_node *twin_zloss(twin_eval *x, tape_node *r);
tape_node *twin_loss(twin_eval *x, tape_node *loss); /* loss as it is given out (GradScale) */

/* --- in twin_similarity.c --- */
/* CKA of the rows of a[n,p] and b[n,q], by the parameters kernel, sigma, bandwidth, diagonal, middle, median, detach and
 * estimator; [1, 1]. */
tape_node *twin_cka(twin_eval *x, tape_node *a, tape_node *b);

/* --- in twin_distance.c --- */
/* A mixture of k Gaussians by balls, of which the middles count: logarithms of weights, means, variances. */
typedef struct {
    size_t k;
    arb_srcptr logpi, mean, nu;
} twin_mixture;
/* Encloses V and h^2 of (T.8), for most mixtures within 2^-bits; V absolutely, h^2 relatively down to 2^(-2 bits).  Returns how far
 * from 0 it looked; what is beyond is in the balls. */
double twin_distance(const twin_mixture *p, const twin_mixture *q, slong bits, arb_t variation, arb_t square);

#endif
