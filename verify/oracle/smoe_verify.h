/* Judge your own code from a test in C or C++: link with libsmoeverify, give a function, get a verdict.
 *
 *   static int gate(smoe_verify_case *c, void *context)
 *   {
 *       const size_t T = smoe_verify_dim(c, 'T'), N = smoe_verify_dim(c, 'N'), K = smoe_verify_dim(c, 'K');
 *       my_gate(T, N, K, smoe_verify_input(c, "r"), smoe_verify_output_i64(c, "index"), smoe_verify_output(c, "weight"));
 *       my_gate_backward(T, N, K, smoe_verify_input(c, "r"), smoe_verify_cotangent(c, "weight"),
 *                        smoe_verify_gradient(c, "r"));
 *       return 0;
 *   }
 *   ...
 *   smoe_verify_options o = smoe_verify_defaults();
 *   o.where = "order=topk-softmax";
 *   return smoe_verify_judge("gate.weights", gate, NULL, &o);
 *
 * `smoeref explain gate.weights` lists the names, shapes and parameters.  Everything runs in your process, one case after
 * the other: what crashes there crashes your test, which `smoeref check` with a program of its own does not.
 *
 *   cc test.c $(pkg-config --cflags --libs smoeverify)
 */
#ifndef SMOE_VERIFY_H
#define SMOE_VERIFY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What smoe_verify_judge() returns; the exit statuses of the command. */
enum {
    SMOE_VERIFY_PASS = 0,
    SMOE_VERIFY_FAIL = 1,       /* a verdict failed, or the function did not return 0 */
    SMOE_VERIFY_USAGE = 2,      /* an argument makes no sense: a line on standard error says which */
    SMOE_VERIFY_OUTPUT = 3,     /* a report cannot be written, or memory is out */
    SMOE_VERIFY_ENVIRONMENT = 4 /* rounding mode, flushed subnormals, contraction: the reference cannot work here */
};

typedef struct smoe_verify_case smoe_verify_case;

/* Your code on one case.  0, or another number if it could not be computed, which is a failure of the case. */
typedef int smoe_verify_function(smoe_verify_case *c, void *context);

typedef struct {
    const char *precision; /* what your code promises: "f64", "f32", "tf32", "bf16" or "f16" */
    const char *suite;     /* "smoke", "core", "adversarial", "large", or several: "core,adversarial" */
    /* "k=2,order=softmax-topk|topk-softmax": only cases with these parameters; "without=mask|ties": none with these flags;
     * "case=random|equal": only cases of these names (`smoeref list --json` has flags and names); NULL: all */
    const char *where;
    int defaults;          /* not 0: only cases in which every parameter has its default, without a padding mask */
    int forward;           /* not 0: judge the outputs only; gradients are not owed */
    uint64_t seed;         /* of the cases */
    const char *report;    /* a file to write besides, by its name .txt, .html, .tap, .json or .xml; NULL: none */
    int quiet;             /* not 0: print failures, diagnoses and the summary only */
} smoe_verify_options;

/* f32, core, every case, seed 1, no report, not quiet. */
smoe_verify_options smoe_verify_defaults(void);

/* Calls the function on every case of the operation's suites and prints the report on standard output.  options NULL: the
 * defaults. */
int smoe_verify_judge(const char *op, smoe_verify_function *function, void *context,
                      const smoe_verify_options *options);

/* --- what a case has, inside the function ------------------------------------------------------------------------
 *
 * A name that the operation does not have is said on standard error, and NULL or 0 returned. */
const char *smoe_verify_op(const smoe_verify_case *c);        /* "gate.weights" */
const char *smoe_verify_name(const smoe_verify_case *c);      /* "random" */
const char *smoe_verify_precision(const smoe_verify_case *c); /* "f32" */
size_t smoe_verify_dim(const smoe_verify_case *c, char letter); /* by its letter in the shapes: T, N, K, d, ... */

long smoe_verify_int(const smoe_verify_case *c, const char *parameter);
double smoe_verify_real(const smoe_verify_case *c, const char *parameter);
const char *smoe_verify_choice(const smoe_verify_case *c, const char *parameter); /* "topk-softmax" */

/* Row-major.  cotangent: of a differentiable output, by the output's name. */
const double *smoe_verify_input(const smoe_verify_case *c, const char *name);
const int64_t *smoe_verify_input_i64(const smoe_verify_case *c, const char *name);
const double *smoe_verify_cotangent(const smoe_verify_case *c, const char *output);

/* Where your results go, row-major in the shape of the operation; NaN (or -1) until written.  What is not asked for is
 * missing from the answer.  gradient: of a differentiable input, by the input's name; the sum over all outputs of
 * <output, cotangent>.  Whoever writes past an end is found out. */
double *smoe_verify_output(smoe_verify_case *c, const char *name);
int64_t *smoe_verify_output_i64(smoe_verify_case *c, const char *name);
double *smoe_verify_gradient(smoe_verify_case *c, const char *input);

#ifdef __cplusplus
}
#endif

#endif
