/* What a user says of roundoffs beside the precision: --arithmetic, --elementary and --tensor, or the field "roundoff" of a
 * manifest.  spec/verdicts.md says what they mean. */
#ifndef SMOEREF_ORACLE_ROUNDOFF_H
#define SMOEREF_ORACLE_ROUNDOFF_H

#include "twin.h"

enum { ROUNDOFF_TENSORS = 64, ROUNDOFF_NAME = 64 };

/* All zero: nothing was said. */
typedef struct {
    const twin_profile *arithmetic; /* the format of that name; NULL: what the precision means */
    double elementary_ulp; /* 0: what the precision means */
    size_t tensors;
    char name[ROUNDOFF_TENSORS][ROUNDOFF_NAME];
    twin_profile tensor[ROUNDOFF_TENSORS + 1];
} roundoff;

/* Each takes one text; 0, or -1 with a line in err. */
int roundoff_arithmetic(roundoff *r, const char *text, char *err, size_t errlen); /* "f32" */
int roundoff_elementary(roundoff *r, const char *text, char *err, size_t errlen); /* "4ulp" */
int roundoff_tensor(roundoff *r, const char *text, char *err, size_t errlen); /* NAME=P[+A][+Nulp] */

/* Takes over what `other` says and r does not. */
void roundoff_merge(roundoff *r, const roundoff *other);
/* Is every tensor one of these operations' (NULL-terminated)?  The first that is not, or NULL. */
const char *roundoff_stranger(const roundoff *r, const op_record *const *ops);
/* The profile of a precision with all this in it; it points into r.  0, or -1 with a line in err. */
int roundoff_profile(roundoff *r, const twin_profile *precision, twin_profile *p, char *err, size_t errlen);

/* "storage bf16, arithmetic f32, elementary functions within 4 ulp", and the tensors that differ; malloc'd. */
char *roundoff_text(const twin_profile *p);

#endif
