/* The verdict on one case: is this answer one that an implementation of the equation, in this precision, could give?
 *
 *   golden   what the answer is compared with: a value and a bound for every element of every output and gradient
 *   verdict  what came of it, tensor by tensor, and (on request) which known wrong variant it is
 *
 * BOUNDED and STAGE tensors pass iff |got - golden| <= bound for every element, written so that NaN fails.  EXACT ones
 * are equal bit for bit.  A DECISION is admissible iff no expert that was left out beats one that was taken by more
 * than the bounds of their two scores, and the same for the order inside the K.  Where a decision is not the golden
 * one, everything else is recomputed with the candidate's own decision before it is judged (a replay).
 */
#ifndef SMOEREF_ORACLE_VERDICT_H
#define SMOEREF_ORACLE_VERDICT_H

#include "op.h"
#include "tensorfile.h"
#include "twin.h"

/* The bound about `golden` that contains the ball [hi + lo - rad, hi + lo + rad]: |hi + lo - golden| + rad, rounded
 * up. */
double verdict_bound(double hi, double lo, double rad, double golden);

enum { VERDICT_PREC = 128 }; /* working precision in bits of every run of the twin */

/* --- golden -------------------------------------------------------------------------------------------------- */
typedef struct {
    size_t count;
    double *value; /* float tensors */
    double *bound; /* float tensors: never negative, never NaN; +inf is vacuous */
    int64_t *index; /* integer tensors */
} golden_tensor;

typedef struct {
    golden_tensor out[OP_TENSORS], grad[OP_TENSORS]; /* by output, by input; absent ones have no arrays */
    golden_tensor score[OP_TENSORS]; /* by output of kind OP_DECISION: the [T,N] scores it is taken on */
    bool forward; /* set by who asks for it: gradients are not owed, and not judged where they are given */
} verdict_golden;

/* From an expected file (its names are those of gen_cases(), see cmd.h and spec/formats.md).  Scores and bounds that it
 * does not hold are computed by the twin with the golden decision.
 * c: inputs and cotangents are set; its decisions are set to the golden ones.  Returns 0, or -1 with a line in err. */
int verdict_golden_read(op_case *c, const tensor_file *expected, const char *label, const twin_profile *p,
                        verdict_golden *g, char *err, size_t errlen);
/* From a case after op_run(): its outputs and gradients, and the twin's bounds. */
int verdict_golden_run(op_case *c, const twin_profile *p, verdict_golden *g, char *err, size_t errlen);
void verdict_golden_clear(verdict_golden *g);

/* --- verdict ------------------------------------------------------------------------------------------------- */
enum { VERDICT_FACTORS = 21 };
/* Room for a tensor's name, for that of its bound, and for a shape or the sizes or parameters of a case. */
enum { VERDICT_NAME = 160, VERDICT_BOUND = 200, VERDICT_TEXT = 512 };
enum { VERDICT_BINS = 9, VERDICT_HEAT = 48, VERDICT_LEVELS = 6 };

typedef struct {
    char *name; /* "y", "d_x", or the unknown tensor's */
    op_kind kind;
    bool gradient, present, owed, judged, pass; /* judged: there and fit for it; a margin never is */
    size_t rank, dim[OP_RANK], count;
    size_t outside; /* elements that fail */
    size_t vacuous; /* elements whose bound is +inf: anything but NaN passes */
    double ratio; /* the worst |got - golden| / bound; +inf if golden is hit by nothing, NaN if a NaN was got */
    size_t at; /* where: flat index; count if there is none */
    double got, golden, bound; /* there */
    size_t slot; /* index of the output, or of the input that it is the gradient of; OP_TENSORS if unknown */
    char *fault; /* a sentence if it could not be judged: missing, unknown, wrong shape or dtype */
    unsigned factors; /* bit i: every failing element equals golden times factor i of verdict_factor() */
    double factor; /* what the first of these is */
    bool zeros; /* every failing element is exactly 0 */
    size_t bin[VERDICT_BINS]; /* elements by ratio: 0, then up to 2^-8, 2^-4, 1/4, 1/2, 1 (these pass), 2, 16, and beyond */
    unsigned char *heat; /* a failing tensor as a picture: the worst level (below VERDICT_LEVELS) of each cell; or NULL */
    size_t heat_rows, heat_cols; /* cells; the first axis down, all others across; at most VERDICT_HEAT of each */
} verdict_tensor;

typedef struct {
    const twin_variant *variant;
    double ratio; /* worst ratio under the variant's own bounds, <= 1 */
    bool tells; /* the variant's bounds exclude golden somewhere: the match means something */
} verdict_match;

typedef struct {
    char *name; /* of the case */
    const op_record *op;
    char *sizes; /* "T=5 N=4 d=3" */
    char *parameters; /* "k=2 order=topk-softmax" */
    bool pass;
    char *fault; /* a sentence if the case as a whole failed: no answer, unreadable, the program crashed */
    char *output; /* last lines of the program's standard error, or NULL */
    size_t tensors;
    verdict_tensor *t; /* stages, decisions, outputs, gradients, each in the record's order; then unknown ones */
    size_t tokens; /* decisions taken, one a token */
    size_t ambiguous; /* of these: another decision would be admissible too, within the bounds */
    size_t differ, inadmissible; /* decisions other than the golden one; of these, the inadmissible ones */
    size_t ties; /* of the inadmissible: nothing wrong but exact ties that went to the higher index */
    bool large; /* judged in its files (verdict_large.h): nothing is there to diagnose it by */
    bool narrow; /* judged as f64, it fails, and every number in it is one of f32 though golden's are not */
    bool ranked; /* its variants were tried by likelihood, as those of a case with many elements are */
    bool shrunk; /* the smallest case found that fails so is among its details (check_shrink.h) */
    bool replayed; /* judged against the equation under the candidate's own decision */
    size_t vacuous, worst; /* elements; index of the worst tensor in t, tensors if there is none */
    size_t details;
    char **detail; /* sentences on what failed: the decisions, the worst element and its inputs */
    size_t matches;
    verdict_match *match; /* the variants that this answer agrees with, best first; filled by verdict_diagnose */
} verdict_case;

/* Judges.  c: inputs and cotangents are set; its decisions are set to those that the answer was judged by.  answer
 * NULL: there is none.  Returns 0 (pass or fail is in v), or -1 with a line in err if the twin failed. */
int verdict_judge(op_case *c, const char *name, const verdict_golden *g, const tensor_file *answer,
                  const twin_profile *p, verdict_case *v, char *err, size_t errlen);
/* Makes the verdict a failure for a reason that lies outside the tensors (exit status, timeout). */
void verdict_fail(verdict_case *v, const char *fault, const char *output);
void verdict_case_clear(verdict_case *v);

/* Tries every known wrong variant of the operation and every simple factor on a failing verdict, with c as
 * verdict_judge() left it.  Of the variants only those with alive[i] (i an index of twin_variants) are tried; alive
 * NULL is all, and so it is for a case with many elements. */
int verdict_diagnose(op_case *c, const verdict_golden *g, const tensor_file *answer, const twin_profile *p,
                     const bool *alive, verdict_case *v, char *err, size_t errlen);
/* Two mistakes at once: tries pairs of variants on a failing verdict that verdict_diagnose() found nothing for. */
int verdict_diagnose_pairs(op_case *c, const verdict_golden *g, const tensor_file *answer, const twin_profile *p,
                           verdict_case *v, char *err, size_t errlen);
bool verdict_in_table(const twin_variant *w); /* a single one, of twin_variants */
size_t verdict_elements(const verdict_case *v); /* of all its tensors */
/* Is a variant known that this failing case is, for certain? */
bool verdict_explained(const verdict_case *v);
/* Adds the variant (which may be a pair) to the matches, if the answer agrees with it. */
int verdict_diagnose_as(op_case *c, const verdict_golden *g, const tensor_file *answer, const twin_profile *p,
                        const twin_variant *w, verdict_case *v, char *err, size_t errlen);
/* A variant that a diagnosis may name, by its operation and class, which is "A+B" for two at once; NULL if there is none. */
const twin_variant *verdict_variant(const char *op, const char *name);
/* The same for an answer that is one of many to a case in a precision: what the variants are under golden's decisions is kept
 * from one call to the next. */
typedef struct verdict_memory verdict_memory;
verdict_memory *verdict_memory_new(void); /* NULL: out of memory */
void verdict_memory_free(verdict_memory *m);
int verdict_diagnose_again(op_case *c, const verdict_golden *g, const tensor_file *answer, const twin_profile *p,
                           const bool *alive, verdict_memory *m, verdict_case *v, char *err, size_t errlen);
/* The name of a simple factor, such as "1/K", and what it is for a case (NaN if the operation has no such size). */
const char *verdict_factor(size_t i, const op_case *c, double *value); /* NULL past the end; c may be NULL */

/* Power: sets exposed[i] for every variant i of c's operation that some tensor of this case tells from the equation.
 * Variants that are exposed already are not tried. */
int verdict_power(op_case *c, const verdict_golden *g, const twin_profile *p, bool *exposed, char *err, size_t errlen);

/* The twin's values and bounds under c's decisions, of the equation (variant NULL) or of a wrong variant.  Tensors that
 * the twin does not compute have count 0 and no arrays. */
int verdict_replay(const op_case *c, const twin_profile *p, const char *variant, verdict_golden *g, char *err,
                   size_t errlen);
/* |got - golden| / bound with 0/0 = 0, x/inf = 0 unless got is NaN, and NaN if got is NaN.  Pass iff ratio <= 1. */
double verdict_ratio(double got, double golden, double bound);
/* Is this selection of K out of N, in this order, admissible for balls of scores?  (Ties of exact scores go to the
 * lower index; within bounds a tie may go either way.)  If not, `left` should have been taken
 * in the place of `taken` (or before it). */
bool verdict_admissible(const golden_tensor *score, size_t row, size_t N, size_t K, const int64_t *index,
                        int64_t *taken, int64_t *left);
/* The K largest of N scores, the lower index first among equals. */
void verdict_choose(const double *score, size_t N, size_t K, int64_t *index);
/* Is there another admissible selection than this one? */
bool verdict_ambiguous(const golden_tensor *score, size_t row, size_t N, size_t K, const int64_t *index);
/* Appends a malloc'd sentence to the case's details. */
void verdict_detail(verdict_case *v, char *sentence);
/* A malloc'd sentence: printf, then every byte that is neither printable nor part of valid UTF-8 replaced by '?'. */
char *verdict_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The second part of that. */
void verdict_clean(char *text);

/* Can this dtype hold the precision that was promised? */
bool verdict_dtype_holds(tensor_dtype t, const twin_profile *p);

#endif
