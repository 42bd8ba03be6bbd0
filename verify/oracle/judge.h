/* Judging a folder of answers: what `diff` and `check` share (cmd_diff.c). */
#ifndef SMOEREF_ORACLE_JUDGE_H
#define SMOEREF_ORACLE_JUDGE_H

#include <signal.h>

#include "cmd.h"
#include "manifest.h"
#include "report.h"

typedef struct {
    const cli_command *command; /* for its errors of usage */
    op_list ops; /* empty: all */
    where_list where; /* empty: all cases of these */
    const twin_profile *precision; /* as it is named; from judge_settle() on as it is judged by: `settled` */
    roundoff said; /* by the command line */
    roundoff all; /* and by the manifest, where the command line is silent: what `settled` points into */
    twin_profile settled;
    int jobs; /* <= 0: as many as there are processors */
    bool power, quiet, forward;
    size_t shard, shards; /* I of N parts of the cases; 0: all of them */
    bool verified; /* the golden files are known to be what the manifest says: their digests are not taken */
    size_t in_memory; /* bytes: cases with larger files are judged in pieces, and not diagnosed */
    size_t reports;
    const char *report[8]; /* files */
    volatile const sig_atomic_t *stop; /* non-zero: give up (NULL: never) */
} judge_options;

/* What came of the candidate's program, by case of the manifest. */
typedef struct {
    char *fault; /* a sentence; NULL if it ended well */
    char *output; /* the last lines that it printed, or NULL */
} judge_run;

/* Verdicts that have been reached so far. */
typedef struct {
    size_t cases;
    verdict_case *c;
    bool exposed[TWIN_VARIANTS]; /* by index of twin_variants */
} judge_result;

/* Options that both commands have, as the first entries of their tables. */
#define JUDGE_OPTIONS                                                                                                  \
    {"--precision", "P", "what the implementation promises: f64 (the default), f32, tf32, bf16 or f16"},               \
        {"--arithmetic", "A", "what it computes in, if not what the precision means: --precision bf16 --arithmetic bf16"},    \
        {"--elementary", "Nulp", "exp, log, erf, tanh ... are within N ulp of the arithmetic (default 4ulp)"},                \
        {"--tensor", "NAME=P[+A][+Nulp]", "a tensor with roundoffs of its own, e.g. weight=f32; may be repeated"},            \
        {"--report", "FILE", "write a report too: .txt, .html, .tap, .json or .xml (JUnit); may be repeated"},                \
        {"--where", "NAME=VALUE",                                                                                      \
         "no cases whose parameter NAME is other than VALUE (or VALUE|VALUE...); without=FLAG: none with that flag; case=NAME"},           \
        {"--defaults", NULL, "only cases in which every parameter has its default, none with a padding mask"},         \
        {"--forward", NULL, "judge the outputs only: gradients are not owed"},                                         \
        {"--jobs", "N", "cases at a time (default: one for each processor)"},                                          \
        {"--power", NULL, "also say which known wrong variants these cases would have exposed"},                       \
    {                                                                                                                  \
        "--quiet", NULL, "print failures, diagnoses and the summary only"                                              \
    }
/* The option of those that judge files, which may be larger than the memory. */
#define JUDGE_MEMORY_OPTION                                                                                            \
    {                                                                                                                  \
        "--in-memory", "MIB", "cases with larger files are judged in pieces, and not diagnosed (default: 32)"          \
    }
enum { JUDGE_PRECISION, JUDGE_ARITHMETIC, JUDGE_ELEMENTARY, JUDGE_TENSOR, JUDGE_REPORT, JUDGE_WHERE, JUDGE_DEFAULTS, JUDGE_FORWARD, JUDGE_JOBS, JUDGE_POWER, JUDGE_QUIET, JUDGE_NEXT };

/* What holds where the command line says nothing. */
judge_options judge_defaults(const cli_command *command);
/* Takes one of JUDGE_OPTIONS: 0, or STATUS_USAGE. */
int judge_option(judge_options *o, const cli_command *command, int option, const char *value);

/* What the answers are judged by, from the command line and (if there is one) the manifest: 0, or a status and a line. */
int judge_settle(judge_options *o, const manifest *m);
/* The precision whose bounds golden cases should be generated with: none if they would not be looked at. */
name_list judge_stored(const judge_options *o);
int judge_set_memory(judge_options *o, const cli_command *command, const char *value); /* 0, or STATUS_USAGE */

/* Can the reports be written?  Found out before anything runs: 0, or STATUS_INPUT. */
int judge_prepare(const judge_options *o);
/* The answer to a case, in any of these forms: 0, or -1 with a line in err. */
int judge_read_answer(const char *answers, const manifest_case *mc, tensor_file *f, char *err, size_t errlen);
/* Judges the cases of DIR (of these operations) by ANSWERS/NAME.{safetensors,npz,npy,safetensors.index.json} or ANSWERS/NAME/TENSOR.npy and
 * appends to r.  runs: by case of the manifest, or NULL.  suffix is appended to the cases' names.  An exit status:
 * STATUS_PASS even if verdicts failed, STATUS_INPUT if a golden file is unusable; -1 if interrupted. */
int judge_folder(const judge_options *o, const char *dir, const char *answers, const manifest *m, const judge_run *runs,
                 const char *suffix, judge_result *r);
/* Prints and writes the reports; the exit status of the command. */
int judge_finish(const judge_options *o, const judge_result *r, const char *suite, uint64_t seed, uint64_t seeds);
void judge_result_clear(judge_result *r);

/* Does the command line ask for this case? */
bool judge_wants(const judge_options *o, const manifest_case *c);
/* 0 if it asks for one of them, else a status and a line. */
int judge_wants_any(const judge_options *o, const char *dir, const manifest *m);

#endif
