/* Pieces of a verdict that a case in memory (verdict.c) and one that stays in its files (verdict_large.c) share. */
#ifndef SMOEREF_ORACLE_VERDICT_PARTS_H
#define SMOEREF_ORACLE_VERDICT_PARTS_H

#include <stdio.h>

#include "tensorview.h"
#include "verdict.h"

/* Memory for verdicts and reports.  Out of it, these end the process: a line, and exit status 3. */
_Noreturn void verdict_out_of_memory(void);
void *verdict_allocate(size_t n, size_t size); /* zeros */
FILE *verdict_stream(char **text, size_t *n); /* collects a text, which is there after verdict_stream_end(), to be freed */
void verdict_stream_end(FILE *f, char **text);

/* printf to s[*at], where it has room for len - *at; *at then is where the text ends, or would end. */
void verdict_append(char *s, size_t len, size_t *at, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Of a decision [T,K] and its scores [T,N]: N, which is 0 where the case has no experts; K; and the product of all sizes but K. */
size_t verdict_experts(const op_case *c);
size_t verdict_row_length(const op_value *v);
size_t verdict_rows(const op_value *v);

/* Begins a verdict: the tensors of the case, and what the answer has of them.  answer NULL: there is none.  Of c only sizes
 * and parameters are used, of answer only names, types and shapes. */
void verdict_begin(const op_case *c, const char *name, const tensor_file *answer, const twin_profile *p, bool forward,
                   verdict_case *v);
/* Ends it, once every tensor is judged.  prompt: where the inputs are; NULL: in c. */
void verdict_end(const op_case *c, const tensor_file *answer, const tensor_view *prompt, verdict_case *v);

/* Does an expected file (names, types, shapes) hold all golden tensors and all that they are judged by?  0: yes; 1: bounds are
 * missing, which the twin would have to compute; -1 with one line in err: no. */
int verdict_golden_find(const op_case *c, const tensor_file *expected, const char *label, const twin_profile *p,
                        char *err, size_t errlen);
/* Golden elements are no NaN, and bounds are not negative: 0, or -1 with one line in err. */
int verdict_check_numbers(const char *label, const char *name, size_t first, size_t n, const double *value,
                          const double *bound, char *err, size_t errlen);

/* Golden decisions name experts below N; `first` is the first row's number.  0, or -1 with one line in err. */
int verdict_check_decision(const char *label, const char *name, size_t N, size_t K, size_t first, size_t rows,
                           const int64_t *index, char *err, size_t errlen);

/* What came of some elements of a tensor.  Sums of these do not depend on who judged which, nor in which order. */
typedef struct {
    size_t outside, vacuous, bin[VERDICT_BINS]; /* as in verdict_tensor */
    bool any; /* the worst of them: */
    size_t at;
    double ratio, got, golden, bound;
} verdict_tally;
enum { VERDICT_CHUNK = 256 };
/* Adds elements first .. first+n-1; ratio[] is filled with theirs.  Every array of doubles has room for n rounded up to a
 * multiple of VERDICT_CHUNK.  exact: they must be equal bit for bit, and bound is not read. */
void verdict_tally_floats(verdict_tally *t, bool exact, size_t first, size_t n, double *got, double *golden,
                          double *bound, double *ratio);
void verdict_tally_integers(verdict_tally *t, size_t first, size_t n, const int64_t *got, const int64_t *golden,
                            double *ratio);
/* Adds the sum to a tensor, and the picture of these elements.  No more than one thread at a time. */
void verdict_tally_add(verdict_tensor *t, const verdict_tally *part);
void verdict_tally_heat(verdict_tensor *t, size_t first, size_t n, const double *ratio);
/* Does the worst of these ratios show in a picture? */
bool verdict_tally_shows(const verdict_tally *part);

#endif
