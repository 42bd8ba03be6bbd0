/* Similarity of representations (spec/06-similarity.md). */
#ifndef SMOEREF_SIMILARITY_H
#define SMOEREF_SIMILARITY_H

#include <stddef.h>

#include "numerics.h"

#endif
