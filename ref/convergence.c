/* Convergence of competition-gated mixtures: spec/08-convergence.md. */
#include "convergence.h"
