/* Operations of chapter G that compare directions, and StableMoE and DeepSeek-V3: spec/02-gate.md. */
#include "op.h"

const op_record op_gate_cosine[] = {
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
