/* What the records of a competition and of a whole training step share. */
#ifndef SMOEREF_ORACLE_OP_COMPETE_H
#define SMOEREF_ORACLE_OP_COMPETE_H

#include <stdbool.h>
#include <stddef.h>

#include "compete.h"
#include "op.h"

const char *compete_check_winners(const op_case *c);        /* of k and N: NULL, or what is wrong */
smoe_status compete_winners(const op_case *c, const double *s, size_t *index); /* TopK of each row of s [T,N] */

/* Everything between inputs and outputs, for either step; one block of doubles and one of indices. */
typedef struct {
    smoe_compete_kept kept;
    smoe_router_kept router;
    double *work, *doubles; /* work is enough for either vjp of (C.8) or (C.14) */
    size_t *indices;
} compete_inside;

/* For records with the inputs, sizes and parameters order and activation of compete.layer. */
smoe_layer_shape compete_shape(const op_case *c);
smoe_layer_in compete_inputs(const op_case *c);
smoe_compete_out compete_outputs(const op_case *c, size_t *index);
smoe_compete_cot compete_cotangents(const op_case *c);
smoe_layer_grad compete_gradients(const op_case *c);
compete_inside compete_inside_new(const smoe_layer_shape *s);
void compete_inside_free(compete_inside *m);

/* Fillers: every token ranks the experts its own way; every token ranks them alike (by_halves: the second half of the
 * tokens starts at expert N/2); all experts are copies of the first; outputs above 20. */
void compete_fill_apart(op_case *c, op_rng *r);
void compete_fill_ranked(op_case *c, op_rng *r, bool by_halves);
void compete_fill_copies(op_case *c, op_rng *r);
void compete_fill_above_20(op_case *c, op_rng *r);

#endif
