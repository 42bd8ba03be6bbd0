/* Operations of chapter L that measure a routing: spec/03-layer.md. */
#include "op.h"

const op_record op_layer_diagnostics[] = {
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
