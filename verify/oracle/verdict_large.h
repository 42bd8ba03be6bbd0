/* The verdict on a case that stays in its files: the same as that of verdict_judge(), reached a piece at a time by any number
 * of threads, in memory that does not grow with the case.
 *
 * Two things need the whole case in memory, and are left to verdict_judge(): bounds that the expected file does not hold, and
 * decisions that are not the golden ones, which are replayed. */
#ifndef SMOEREF_ORACLE_VERDICT_LARGE_H
#define SMOEREF_ORACLE_VERDICT_LARGE_H

#include "tensorview.h"
#include "verdict.h"

typedef struct verdict_large verdict_large;

typedef struct {
    op_case *c; /* shapes only */
    tensor_view prompt, expected, answer; /* answer.files 0: there is none */
} verdict_files;

/* 0; 1: this case must be judged in memory; -1 with one line in err.  f is the new verdict's, and is empty then, whatever is
 * returned. */
int verdict_large_open(verdict_large **l, const char *name, verdict_files *f, const twin_profile *p, bool forward,
                       char *err, size_t errlen);
size_t verdict_large_pieces(const verdict_large *l);
/* Judges piece i; every piece once, by any thread.  0, or -1 with one line in err: a file is unusable. */
int verdict_large_judge(verdict_large *l, size_t i, char *err, size_t errlen);
/* The bytes of the expected file that piece i reads: ranges, any of which may be empty. */
enum { VERDICT_RANGES = 3 };
void verdict_large_reads(const verdict_large *l, size_t i, size_t begin[VERDICT_RANGES], size_t end[VERDICT_RANGES]);
/* The expected file and the prompt; header tells where their tensors begin. */
const struct tensor_view_file *verdict_large_expected(const verdict_large *l);
const struct tensor_view_file *verdict_large_prompt(const verdict_large *l);
/* Once all pieces are judged.  0 with the verdict in v; 1: a decision is not the golden one, and v is empty. */
int verdict_large_end(verdict_large *l, verdict_case *v);
void verdict_large_free(verdict_large *l);
void verdict_files_close(verdict_files *f);

#endif
