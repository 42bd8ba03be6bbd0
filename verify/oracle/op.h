/* The registry of operations: an operation is an equation of spec/ (or a composite of them) with named tensors.
 *
 * Everything iterates over these records: `smoeref list`, `eval`, `gen`, `diff`, `gradcheck`, the tests' loops, the fuzz
 * targets and the evidence report.  To add an equation: a spec section, a function pair in ref/, a twin in
 * verify/enclosure/, and a record in verify/oracle/op_<chapter>.c.
 */
#ifndef SMOEREF_ORACLE_OP_H
#define SMOEREF_ORACLE_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "numerics.h"

enum { OP_RANK = 4, OP_TENSORS = 32, OP_PARAMS = 32, OP_DIMS = 16 };

/* What a tensor is, and so how a verdict on it is reached. */
typedef enum {
    OP_INPUT,    /* given */
    OP_BOUNDED,  /* |got - golden| <= bound, element by element */
    OP_EXACT,    /* equal, bit for bit */
    OP_DECISION, /* expert indices: admissible given the scores they are taken on, then replayed */
    OP_STAGE     /* an intermediate value (score, margin): optional in an answer, judged as BOUNDED when it is there */
} op_kind;

enum { OP_DIFF = 1 };   /* input: a gradient d_<name> is owed; output: a cotangent d_<name> is given */
enum { OP_I64 = 2 };    /* int64 instead of float64; an input of indices is such */
enum { OP_MARGIN = 4 }; /* a stage that is the distance to the next candidate: shown, never judged */
enum { OP_OPTIONAL = 8 };
/* a decision that may be missing from an answer: then the golden one is assumed; an input that may be missing from a prompt:
 * then it is all ones (a mask).  Its shape's letters are bound by other inputs. */

typedef struct {
    const char *name;    /* "w1" */
    const char *shape;   /* "N,h,d"; "" is a scalar.  Letters bind from the inputs; K binds to the parameter k,
                          * C to capacity, N to experts, if no input has them */
    op_kind kind;
    unsigned flags;      /* OP_DIFF | OP_I64 | OP_MARGIN | OP_OPTIONAL */
    const char *meaning; /* one line for `explain` and `list --json` */
} op_tensor;

typedef enum { OP_INT, OP_REAL, OP_CHOICE } op_ptype;

typedef struct {
    const char *name;
    op_ptype type;
    const char *values;  /* CHOICE: "yes|no", the first is the default; INT, REAL: the default as text */
    const char *meaning;
} op_param;

/* A tensor's storage.  Exactly one of f64 and i64 is set; count 0 is an empty tensor, rank 0 a scalar (count 1). */
typedef struct {
    size_t rank, dim[OP_RANK], count;
    double *f64;
    int64_t *i64;
} op_value;

typedef struct op_record op_record;
typedef struct op_rng op_rng;

/* One evaluation: inputs and cotangents in, outputs and gradients out.  All arrays are allocated by op_case_new();
 * cotangents that nobody gave are zero. */
typedef struct {
    const op_record *op;
    char dim_name[OP_DIMS];
    size_t dim_size[OP_DIMS], dims;
    double number[OP_PARAMS];       /* INT and REAL parameters */
    const char *choice[OP_PARAMS];  /* CHOICE parameters: a NUL-terminated copy owned by the case */
    op_value in[OP_TENSORS], grad[OP_TENSORS]; /* by input;  grad only where OP_DIFF */
    op_value out[OP_TENSORS], cot[OP_TENSORS]; /* by output; cot only where OP_DIFF */
} op_case;

/* A case to generate.  `fill` writes inputs (and may overwrite cotangents); NULL draws every input by op_fill_default. */
typedef struct {
    const char *name;   /* unique within the operation, e.g. "ties" */
    const char *suite;  /* smoke | core | adversarial | large | core,adversarial */
    const char *dims;   /* "T=5,N=4,d=3,h=6" */
    const char *set;    /* "k=2,order=softmax-topk" or "" */
    const char *flags;  /* comma-separated, into the manifest: "ties", "wide", "exact", "LblProbOverTK", ... or "" */
    const char *why;    /* one line: what this case is for */
    void (*fill)(op_case *c, op_rng *r);
} op_spec;

struct op_record {
    const char *id;         /* "balance.switch" */
    const char *title;
    const char *equations;  /* "B.2 B.3 B.4" */
    const char *formula;    /* one line of plain text for `explain` */
    const char *source;     /* paper, equation, certainty */
    const char *code;       /* "ref/balance.c: smoe_switch_loss, smoe_switch_loss_vjp" */
    const op_tensor *in, *out;   /* terminated by name == NULL */
    const op_param *param;       /* terminated by name == NULL; may be NULL */
    const op_spec *cases;        /* terminated by name == NULL */
    /* NULL if the sizes and parameters make sense, else what is wrong, as a sentence.  May be NULL. */
    const char *(*check)(const op_case *c);
    smoe_status (*forward)(op_case *c); /* ref: fills out[] from in[] */
    smoe_status (*vjp)(op_case *c);     /* ref: fills grad[] from in[], out[] and cot[]; NULL if nothing is differentiable */
};

/* --- the registry --- */
extern const op_record *const *const op_registry; /* terminated by NULL, in the order of the chapters */
const op_record *op_find(const char *id);
bool op_in_list(const char *list, const char *word, size_t n); /* are the n letters at word one of "ties,exact"? */
bool op_in_suite(const op_spec *spec, const char *suites); /* does it belong to one of "core,adversarial"? */

/* One array a file op_<chapter>.c or op_<chapter>_<part>.c, terminated by id == NULL. */
extern const op_record op_numerics[], op_expert[], op_gate[], op_gate_noisy[], op_gate_cosine[], op_layer[],
    op_layer_capacity[], op_layer_diagnostics[], op_balance[], op_balance_aux[], op_compete[], op_compete_step[],
    op_similarity[], op_simsmoe[], op_convergence[];

/* --- a case --- */
/* Binds "T=5,d=3" and "k=2,order=..." to a new case with zeroed tensors.  NULL on failure with a sentence in err. */
op_case *op_case_new(const op_record *op, const char *dims, const char *set, char *err, size_t errlen);
/* The same without arrays: sizes, parameters and shapes of a case whose tensors stay in their files. */
op_case *op_case_shapes(const op_record *op, const char *dims, const char *set, char *err, size_t errlen);
/* The same with the sizes (by index of c->dim_name; those that no input has are ignored) and parameters given. */
op_case *op_case_like(const op_case *c, const size_t *size, const double *number, const char *const *choice, char *err,
                      size_t errlen);
bool op_size_given(const op_record *op, char letter); /* by the shape of an input? */
void op_case_free(op_case *c);
/* The case of a record's list: sizes and parameters bound, cotangents drawn (stream "op/case/cotangents", representable
 * standard normals), inputs filled (stream "op/case").  op_run() is left to the caller.  NULL: a sentence is in err. */
op_case *op_case_from_spec(const op_record *op, const op_spec *spec, uint64_t seed, char *err, size_t errlen);
smoe_status op_run(op_case *c);  /* forward, then vjp */

/* --- what records, twins and fillers use; unknown names abort (a bug in a record, found by the registry's test) --- */
size_t op_dim(const op_case *c, char letter);
long op_int(const op_case *c, const char *param);
double op_real(const op_case *c, const char *param);
bool op_is(const op_case *c, const char *param, const char *choice);
double *op_in(const op_case *c, const char *name);     /* float64 input */
int64_t *op_in_i64(const op_case *c, const char *name);
double *op_out(const op_case *c, const char *name);    /* float64 output */
int64_t *op_out_i64(const op_case *c, const char *name);
double *op_cot(const op_case *c, const char *output);  /* cotangent d_<output> */
double *op_grad(const op_case *c, const char *input);  /* gradient d_<input> */

/* --- between a case and ref/: what forwards and vjps share --- */
void *op_room(size_t n, size_t size); /* n zeroed elements, for free(); never NULL: without memory it aborts */
size_t *op_read_index(const op_case *c, const char *output, size_t n); /* a copy of an int64 output, for free() */
void op_write_index(const op_case *c, const char *output, size_t n, const size_t *index);
/* The K experts of each of T tokens by the rule of (N.25) on scores [T,N], into index [T,K]. */
smoe_status op_choose(size_t T, size_t N, size_t K, const double *scores, size_t *index);

/* --- drawing (mt19937 integers of GSL, our own transforms: a seed means the same case everywhere) --- */
op_rng *op_rng_new(uint64_t seed, const char *stream); /* an independent stream for each (seed, "op/case") */
void op_rng_free(op_rng *r);
double op_uniform(op_rng *r);                    /* [0,1), 53 bits */
double op_normal(op_rng *r);                     /* standard normal */
uint64_t op_below(op_rng *r, uint64_t n);        /* uniform in 0..n-1 */
/* Nearest value with an 8-bit significand inside binary16's normal range (or 0): exact in f64, f32, tf32, bf16 and f16. */
double op_representable(double x);
void op_fill_normal(op_rng *r, double scale, size_t n, double *x);   /* representable normals */
/* Each input by its name: w* and wr* normal with variance 1/fan-in (last dimension), b* normal times 1/4, all else standard normal. */
void op_fill_default(op_case *c, op_rng *r);
/* Rows distinct by a margin: permutation-like scores in [T,N] whose neighbours differ by at least `gap`. */
void op_fill_apart(op_rng *r, double gap, size_t T, size_t N, double *s);

#endif
