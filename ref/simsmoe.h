/* SimSMoE (spec/07-simsmoe.md). */
#ifndef SMOEREF_SIMSMOE_H
#define SMOEREF_SIMSMOE_H

#include <stddef.h>

#include "numerics.h"

#endif
