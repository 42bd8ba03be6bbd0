/* Operations of chapter G that add noise, drop, or squash: spec/02-gate.md. */
#include "op.h"

const op_record op_gate_noisy[] = {
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
