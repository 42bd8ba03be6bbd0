/* The catalogue of known wrong variants.  Each is made inside the twin, where the mistake is made in the world, so that its
 * outputs and gradients come off the same tape.
 *
 * `met` names public threads where the class was met, as owner/repo#number.  "NormTopK/<order>" and "GeluTanh", "GeluErf"
 * equal the equation where a case's parameter already says so. */
#include "twin.h"


const twin_variant twin_variants[] = {
    {"numerics.softplus", "SoftplusThreshold", "x instead of log(1 + e^x) for x > 20",
     "absolute error up to 2e-9, visible in binary64 alone", "torch.nn.Softplus's default threshold"},
    {NULL, NULL, NULL, NULL, NULL},
};
