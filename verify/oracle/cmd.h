/* The subcommands of smoeref and what they share. */
#ifndef SMOEREF_ORACLE_CMD_H
#define SMOEREF_ORACLE_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "op.h"

/* argv[0] is the subcommand's name; the result is the exit status. */
int cmd_list(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_variants(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_gen(int argc, char **argv);
int cmd_vectors(int argc, char **argv);
int cmd_diff(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_ver(int argc, char **argv);
int cmd_gradcheck(int argc, char **argv);
int cmd_cka(int argc, char **argv);
int cmd_rates(int argc, char **argv);

enum { STATUS_PASS = 0, STATUS_FAIL = 1, STATUS_USAGE = 2, STATUS_INPUT = 3, STATUS_ENVIRONMENT = 4 };

extern const char cli_version[]; /* "0.1.0" */

/* --- the command line (main.c) --- */
typedef struct {
    const char *name;     /* "--out" */
    const char *argument; /* "DIR"; NULL for a flag */
    const char *help;     /* one line for --help; NULL hides the option */
} cli_option;

typedef struct {
    const char *name;         /* "gen" */
    const char *synopsis;     /* "[OP ...] --out DIR [--suite SUITE]" */
    const char *summary;      /* one or two sentences */
    const cli_option *option; /* terminated by name == NULL; --help and --version are understood everywhere */
} cli_command;

typedef struct {
    const cli_command *command;
    int argc, at;
    char **argv;
    bool only_words; /* after "--" */
    int status;      /* set by CLI_STOP */
} cli;

/* Walks the arguments after argv[0]:  for (int o; (o = cli_next(&p, &value)) != CLI_END;) switch (o) ...
 * An option gives its index in command->option with *value its argument (--out DIR and --out=DIR; NULL for a flag),
 * anything else CLI_WORD.  CLI_STOP: the caller returns p.status (help was printed, or a usage error was). */
enum { CLI_END = -1, CLI_WORD = -2, CLI_STOP = -3 };
cli cli_start(const cli_command *command, int argc, char **argv);
int cli_next(cli *p, const char **value);

/* One line on stderr.  usage: "smoeref gen: MESSAGE (see smoeref gen --help)", result STATUS_USAGE;
 * input: "smoeref: MESSAGE", result STATUS_INPUT. */
int cli_usage(const cli_command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
int cli_input(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Does a message say that memory was lacking?  Then no candidate is at fault, and no self-check either: STATUS_INPUT. */
bool cli_no_memory(const char *message);

/* Adds the operations that a word names ("balance.switch", or a chapter: "balance") to a list without repeats, kept in
 * registry order by cli_sort.  0, or STATUS_USAGE with a suggestion printed. */
typedef struct {
    const op_record *op[128];
    bool by_name[128]; /* "balance.switch", not "balance": such an operation must have a case, or nothing is done */
    size_t count;
} op_list;
int cli_add_ops(const cli_command *command, op_list *list, const char *word);
/* --where NAME=VALUE[|VALUE...]: only cases whose parameter NAME has one of these values.  A case whose operation has
 * no such parameter is kept.  --where without=FLAG[|FLAG...]: only cases without these flags; --where case=NAME[|NAME...]:
 * only cases of these names. */
typedef struct {
    const char *text[16];
    size_t count;
    bool defaults; /* --defaults: only cases in which every parameter has its default, without a padding mask */
} where_list;
int cli_add_where(const cli_command *command, where_list *list, const char *text); /* 0, or STATUS_USAGE */
/* Does each name a parameter, and values that it may have, of one of these operations (of any, if the list is empty)?
 * 0, or STATUS_USAGE. */
int cli_check_where(const cli_command *command, const where_list *list, const op_list *ops);
/* Is a case wanted?  name: "gate.weights.random"; parameters: all of them, as a JSON object in text; flags: "ties,exact". */
bool cli_where(const where_list *list, const op_record *op, const char *name, const char *parameters,
               const char *flags);
const char *cli_where_leaves(const where_list *list); /* " that --where leaves", or "" if there are no conditions */
/* Every operation if the list is empty; then in the order of the registry. */
void cli_sort_ops(op_list *list);

/* Of the candidates (terminated by NULL) the nearest to a mistyped word; NULL if none is near. */
const char *cli_nearest(const char *word, const char *const *candidates);
bool cli_parse_seed(const char *text, uint64_t *seed); /* 0 .. 2^53 - 1 */
/* A comma-separated list of precisions: 0, or STATUS_USAGE.  "none" is the empty list. */
typedef struct {
    const char *name[8];
    size_t count;
} name_list;
int cli_parse_precisions(const cli_command *command, name_list *list, const char *text);
int cli_parse_suites(const cli_command *command, name_list *list, const char *text); /* adds; no repeats */
bool cli_in_suites(const name_list *suites, const op_spec *spec);
int cli_parse_jobs(const cli_command *command, int *jobs, const char *text);

bool cli_colour(FILE *f); /* a terminal, NO_COLOR unset or empty, TERM not dumb */

/* Could this file be written?  The folder must be there and be writable, and the file, if there is one, no folder.
 * 0, or -1 with a line in err. */
int cli_writable(const char *path, char *err, size_t errlen);
/* Writes a text file whole or not at all (a temporary file beside it, renamed).  0, or -1 with a line in err. */
int cli_write_file(const char *path, const void *bytes, size_t n, char *err, size_t errlen);

/* --- work in parallel (jobs.c) --- */
/* Calls work(context, i, message) for i = 0 .. n-1 in forked workers; what a call leaves in message (at most
 * JOB_MESSAGE bytes) is kept.  Progress goes to stderr if it is a terminal.  0 if every call returned 0, else the status
 * of the first (by i) that did not, after its message was printed as "smoeref: MESSAGE"; -1 if interrupted by a signal, whose
 * number is in *signal.  jobs <= 0: as many as there are processors. */
enum { JOB_MESSAGE = 800 };
typedef int job(void *context, size_t i, char message[JOB_MESSAGE]);
int jobs_run(int jobs, size_t n, const char *what, job *work, void *context, int *signal_number);
/* The same, with what each piece costs in any unit: progress then tells the time that is left. */
int jobs_run_costs(int jobs, size_t n, const char *what, job *work, void *context, const double *cost,
                   int *signal_number);
/* Zeroed memory that the workers share with their parent, or NULL; for results that are more than a message. */
void *jobs_share(size_t bytes);
void jobs_unshare(void *p, size_t bytes);
/* Ends this process by the signal that interrupted it, once the caller has cleaned up. */
_Noreturn void jobs_die(int signal_number);

/* --- golden cases (cmd_gen.c) --- */
typedef struct {
    const cli_command *command; /* whose command line it was, for messages */
    op_list ops;         /* empty: all */
    where_list where;    /* empty: all cases of these */
    name_list suites;    /* empty: core (none if text is given) */
    name_list precision; /* whose bounds are stored */
    bool no_twin;        /* --precision none: neither radii nor bounds, and no self-check */
    uint64_t seed;
    const char *text;    /* a file to make activations of, or NULL */
    const char *out;     /* the folder */
    bool stream;         /* prompts to standard output instead */
    int jobs;            /* <= 0: as many as there are processors */
    const char *spoil;   /* negative control of the self-check: "value", "gradient" or "decision"; NULL */
} gen_options;

/* What gen_cases() starts from: suite core, seed 1, bounds for f64, f32 and bf16. */
gen_options gen_defaults(void);
/* Writes DIR/NAME.prompt.safetensors, DIR/NAME.expected.safetensors and DIR/manifest.json, all or nothing; the result
 * is an exit status.  The names in an expected file, where TENSOR is an output or d_<input>:
 *   TENSOR                        the golden value
 *   radius.TENSOR                 |golden - exact| is at most this
 *   bound.PRECISION.TENSOR        how far from golden a candidate that follows the equation may be
 *   score.TENSOR                  for a decision: the scores it was taken on, nearest doubles of the exact values [T,N]
 *   score_bound.PRECISION.TENSOR  a candidate's score is at most this far from score.TENSOR */
int gen_cases(const gen_options *o);
/* The same of one case, after op_run(), into a new folder. */
int gen_one(const op_case *c, const char *name, const name_list *precision, const char *folder);
/* The first line of --stream without its end, ", \"cases\": N}\n": what the cases are made from. */
void gen_stream_header(FILE *f, const gen_options *o);

#endif
