/* The twin of spec/07-simsmoe.md. */
#include "twin_parts.h"

const twin_entry twin_simsmoe[] = {
    {NULL, NULL},
};
