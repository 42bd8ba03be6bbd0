/* The twin of spec/08-convergence.md. */
#include "twin_parts.h"

const twin_entry twin_convergence[] = {
    {NULL, NULL},
};
