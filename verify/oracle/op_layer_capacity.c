/* Operations of chapter L on capacity, dispatch and shared experts: spec/03-layer.md. */
#include "op.h"

const op_record op_layer_capacity[] = {
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
