/* The twin of spec/02-gate.md. */
#include "twin_parts.h"

const twin_entry twin_gate[] = {
    {NULL, NULL},
};
