/* The twin: an independent evaluation of every operation in ball arithmetic, with gradients by reverse mode.
 *
 * It encloses the exact value of every output and gradient (profile NULL), and with the roundings of a precision injected
 * (profile given) its radius is the bound that a candidate in that precision is judged by.  It is written from spec/ and
 * shares no code with ref/; of verify/oracle it knows only the data of a case (op.h).
 */
#ifndef SMOEREF_ENCLOSURE_TWIN_H
#define SMOEREF_ENCLOSURE_TWIN_H

#include "op.h"

/* A number format: unit roundoff 2^-digits and the absolute error of an underflow. */
typedef struct {
    const char *name;  /* "bf16" */
    int digits;        /* significand bits, 53 for binary64; the unit roundoff is 2^-digits */
    double underflow;  /* absolute error of a result below the normal range */
    double largest;    /* largest finite value */
} twin_format;

/* storage: every tensor-level primitive may round its result once.  arithmetic: every operation and every term of an
 * accumulation.  elementary: exp, log, erf, ... within that many ulp of the arithmetic.
 *
 * tensor: those that have roundoffs of their own, by name (inputs, outputs and d_<either>); NULL: none.  Of an input the
 * storage counts, of a gradient too; an output's roundoffs are those of everything between it and the next tensors that the
 * operation names.  What several of them need has the coarsest of their roundoffs. */
typedef struct twin_profile twin_profile;
struct twin_profile {
    const char *name; /* of the precision; where one of its roundoffs was said apart: of its storage */
    twin_format storage, arithmetic;
    double elementary_ulp;
    bool apart; /* these are not the roundoffs that the name alone stands for */
    const twin_profile *tensor; /* terminated by name == NULL; each with its tensor's name */
};

extern const twin_profile twin_profiles[]; /* f64 f32 tf32 bf16 f16; terminated by name == NULL */
const twin_profile *twin_profile_find(const char *name);
/* The roundoffs of a tensor by its name, of d_<name> by default those of <name>, else the profile's own. */
const twin_profile *twin_profile_of(const twin_profile *p, const char *tensor);

/* A tensor of balls, rounded outwards to doubles: the ball is [hi + lo - rad, hi + lo + rad] (hi the nearest double of the
 * centre, lo the rest); rad is +inf where nothing is known. */
typedef struct {
    size_t count;
    double *hi, *lo, *rad;
} twin_tensor;

/* out[i], grad[i]: as in the record (empty where the tensor is I64, not computed or not differentiable).
 * score: for output i of kind OP_DECISION, the [T,N] scores that it is taken on (empty otherwise). */
typedef struct {
    twin_tensor out[OP_TENSORS], grad[OP_TENSORS], score[OP_TENSORS];
} twin_result;

/* A known wrong variant of an operation.  The class is a name of the catalogue, e.g. "LblProbOverTK". */
typedef struct {
    const char *op;       /* operation id */
    const char *name;     /* class name */
    const char *formula;  /* "balance.switch with P divided by T*K" */
    const char *effect;   /* "1/K of the value at balance" */
    const char *met;      /* "huggingface/transformers#43775" ... */
} twin_variant;
extern const twin_variant twin_variants[]; /* terminated by op == NULL */
enum { TWIN_VARIANTS = 1024 };             /* there are fewer rows than that */

/* Evaluates c->op on c->in and c->cot.  Decisions are data: they are read from c->out (I64 outputs of kind OP_DECISION; every
 * operation that selects has one).  variant NULL is the
 * equation itself, "A+B" is two wrong variants at once.  prec is the working precision in bits.  Returns 0, or -1 with a sentence in err (no twin, unknown
 * variant, a decision out of range). */
int twin_run(const op_case *c, const twin_profile *profile, const char *variant, long prec, twin_result *r,
             char *err, size_t errlen);
void twin_result_clear(twin_result *r);

#endif
