/* Operations of chapter C on schedules and whole training steps: spec/05-compete.md. */
#include "op.h"

const op_record op_compete_step[] = {
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
