/* One case too large for the memory, from its files to its verdict, in pieces for any number of threads (cmd_diff.c). */
#ifndef SMOEREF_ORACLE_JUDGE_LARGE_H
#define SMOEREF_ORACLE_JUDGE_LARGE_H

#include "judge.h"

typedef struct large_case large_case;

/* Are the files of a case, golden ones and answer, together larger than what is judged in memory? */
bool large_case_is(const judge_options *o, const char *dir, const char *answers, const manifest_case *mc);
/* 0; 1: it must be judged in memory all the same; -1 with one line in err: a golden file is unusable. */
int large_case_open(large_case **to, const judge_options *o, const char *dir, const char *answers,
                    const manifest_case *mc, const char *name, char *err, size_t errlen);
size_t large_case_pieces(const large_case *l);
int large_case_work(large_case *l, size_t i, char *err, size_t errlen); /* each piece once; 0 or -1 */
/* Once all pieces are done: 0 with the verdict; 1: it must be judged in memory. */
int large_case_end(large_case *l, verdict_case *v);
void large_case_free(large_case *l);

/* --- of cmd_diff.c --- */
/* The answer to a case: 0 with its path, and *which (0 .safetensors, 1 .npz, 2 .npy, 3 an index, 4 a folder); -1: there is
 * none, and err is a sentence why. */
int judge_find_answer(const char *answers, const manifest_case *mc, char *path, size_t room, int *which, char *err,
                      size_t errlen);
/* The prompt's own parameters must be those that the manifest announces: 0, or -1 with one line in err. */
int judge_check_parameters(const manifest_case *mc, const op_case *c, const char *path, char *err, size_t errlen);
/* What an .npy without a name answers: the one tensor that the operation owes.  malloc'd; NULL with a sentence in err. */
char *judge_single_name(const op_record *op, size_t tensors, const char *path, char *err, size_t errlen);

#endif
