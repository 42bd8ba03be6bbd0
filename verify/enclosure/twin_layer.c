/* The twin of spec/03-layer.md. */
#include "twin_parts.h"

const twin_entry twin_layer[] = {
    {NULL, NULL},
};
