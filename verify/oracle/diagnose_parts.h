/* Pieces of a diagnosis that single variants (diagnose.c) and pairs of them (diagnose_pairs.c) share. */
#ifndef SMOEREF_ORACLE_DIAGNOSE_PARTS_H
#define SMOEREF_ORACLE_DIAGNOSE_PARTS_H

#include "verdict.h"

/* What a diagnosis looks at.  `equation` is what the answer was judged by: golden, or recomputed with its own
 * decision. */
typedef struct {
    const op_case *c;
    const verdict_golden *golden, *equation;
    const tensor_file *answer;
    const twin_profile *p;
    verdict_memory *memory; /* or NULL */
    verdict_case *v;
} patient;

/* The value and bound of a tensor of a verdict. */
const golden_tensor *diagnose_reference(const verdict_golden *g, const verdict_tensor *t);
/* Sets x->equation: golden, or where the verdict was replayed the equation under the candidate's decision, in *replay, which is
 * to be cleared in either case.  0, or -1 with a line in err. */
int diagnose_equation(patient *x, verdict_golden *replay, char *err, size_t errlen);
/* The worst ratio of one judged tensor of the answer under a variant, +inf if it is not that variant's.  *tells is set if some
 * element (or choice) that fails is one where the variant excludes the golden value (or choice), so that the match means something. */
double diagnose_tensor(const patient *x, const verdict_tensor *t, const verdict_golden *variant, bool *tells);
/* Is the answer this variant?  m->ratio is +inf if it is not.  0, or -1 with a line in err. */
int diagnose_variant(const patient *x, verdict_match *m, char *err, size_t errlen);
/* Adds a match to the verdict: those that tell come first, then the smaller ratio. */
void diagnose_add(verdict_case *v, verdict_match m);
/* Two variants of the table at once, as one that can be named, stored and run: the same pointer for the same two.  NULL
 * if one of them is none of the table, or if they are of two operations or one. */
const twin_variant *diagnose_pair(const twin_variant *a, const twin_variant *b);
/* How many elements of the answer speak against two variants at once; a and b are what each alone gives. */
size_t diagnose_misfit(const patient *x, const verdict_golden *a, const verdict_golden *b);
/* How unlike a failure the effect of a variant on a case is, which may be a smaller one: ten for each tensor that failed and that
 * the variant leaves alone, one for each that passed and that it changes. */
unsigned diagnose_unlikeness(const verdict_case *v, const verdict_golden *equation, const verdict_golden *variant);
/* A small case with the parameters of c, and inputs and cotangents drawn at random, after op_run(); NULL if there is none. */
op_case *diagnose_small(const op_case *c);
#endif
