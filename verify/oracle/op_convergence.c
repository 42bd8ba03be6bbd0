/* Operations of chapter T: spec/08-convergence.md. */
#include "convergence.h"
#include "op.h"

const op_record op_convergence[] = {
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
