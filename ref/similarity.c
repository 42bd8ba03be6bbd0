/* Similarity of representations: spec/06-similarity.md. */
#include "similarity.h"
