/* Real text as activations: what `smoeref gen --text FILE` feeds to layer.smoe and compete.layer.
 *
 * Bytes, not words, and no trained weights: everything follows from the file and the seed.
 *   - T = 256 positions p_t = floor((2 t + 1) L / (2 T)) are spread over the L bytes b_0 .. b_{L-1} of the file.
 *   - An embedding e, one row of d = 64 representable standard normals for each of the 256 byte values, is drawn from
 *     the stream "text/embedding", rows in the order of the byte's value.
 *   - A small causal context: x_t = e(b_p) + 1/2 e(b_{p-1}) + 1/4 e(b_{p-2}), p = p_t, terms before the file's start
 *     left out, added in this order in binary64 and then rounded by op_representable(), so that every precision sees
 *     the same input.
 *   - Weights for N = 8 experts of h = 128 and K = 2 come from the case's own stream, in the order of the inputs and
 *     scaled so that routing is informative: wr normal with standard deviation 2/sqrt(d) (logits of about 2.3), br 1/4,
 *     w1 sqrt(2/d), b1 1/4, w2 3 sqrt(2/h) (outputs of about 3, so that softplus responses differ), b2 1/2.
 *
 * Cases: layer.smoe.text, compete.layer.text (compete=yes) and compete.layer.text-router (compete=no).
 */
#ifndef SMOEREF_ORACLE_TEXT_H
#define SMOEREF_ORACLE_TEXT_H

#include "op.h"

enum { TEXT_T = 256, TEXT_D = 64 };

typedef struct {
    const char *op;
    op_spec spec; /* its fill draws the weights; x is copied in afterwards */
} text_case;
extern const text_case text_cases[]; /* terminated by op == NULL */

/* x is [TEXT_T, TEXT_D].  0, or -1 with a line in err. */
int text_activations(const char *path, uint64_t seed, double *x, char *err, size_t errlen);

#endif
