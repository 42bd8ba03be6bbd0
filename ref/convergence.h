/* Convergence of competition-gated mixtures (spec/08-convergence.md). */
#ifndef SMOEREF_CONVERGENCE_H
#define SMOEREF_CONVERGENCE_H

#include <stddef.h>

#include "numerics.h"

#endif
