/* Operations of chapter K: spec/06-similarity.md. */
#include "similarity.h"
#include "op.h"

const op_record op_similarity[] = {
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
