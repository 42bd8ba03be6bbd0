/* The twin of spec/06-similarity.md. */
#include "twin_parts.h"

const twin_entry twin_similarity[] = {
    {NULL, NULL},
};
