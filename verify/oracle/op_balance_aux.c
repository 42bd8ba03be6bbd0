/* Operations of chapter B beyond the Switch loss: spec/04-balance.md. */
#include "op.h"

const op_record op_balance_aux[] = {
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
