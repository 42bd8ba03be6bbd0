/* SimSMoE: spec/07-simsmoe.md. */
#include "simsmoe.h"
