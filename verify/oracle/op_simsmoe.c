/* Operations of chapter S: spec/07-simsmoe.md. */
#include "simsmoe.h"
#include "op.h"

const op_record op_simsmoe[] = {
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
