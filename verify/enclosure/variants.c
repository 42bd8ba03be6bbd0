/* The catalogue of known wrong variants.  Each is made inside the twin, at the place where the mistake is made, so
 * that its outputs and gradients come off the same tape.
 *
 * `met` names threads as owner/repo#number (github.com/owner/repo/issues/number) or the public code base where the
 * class was met.  A variant equals the equation on cases whose parameters or decisions leave nothing to confuse: K =
 * 1, an `order` that is already the one it puts in place, an activation that is not GELU. */
#include "twin.h"

#define FIRST_CODE  "giangdip2410/CompeteSMoE"
#define SECOND_CODE "Fsoft-AIC/CompeteSMoE"
#define ROW(op, name, mistake, effect, met)                                                                            \
    {                                                                                                                  \
        op, name, op " with " mistake, effect, met                                                                     \
    }

#define BALANCE(op)                                                                                                    \
    ROW(op, "LblDoubleSoftmax", "softmax taken twice: probabilities where logits are expected",                        \
        "P is squeezed towards uniform and the gradient with it",                                                      \
        "huggingface/transformers#39055, huggingface/transformers#45120"),                                             \
        ROW(op, "LblProbOverTK", "P divided by T*K", "1/K of the value and of the gradient",                           \
            FIRST_CODE " and giangdip2410/SimSMoE"),                                                                   \
        ROW(op, "LblTopKNorm", "f over all K choices divided by T", "K times the value",                               \
            "huggingface/transformers#43775, allenai/OLMoE#40, allenai/OLMoE#45, jingyaogong/minimind#290"),           \
        ROW(op, "LblFirstChoiceOnly", "f counted from the first choice only",                                          \
            "the other K-1 choices are free to collapse",                                                              \
            "deepspeedai/DeepSpeed#2551, deepspeedai/DeepSpeed#5156, " SECOND_CODE),                                   \
        ROW(op, "LblCountAll", "f counted from all K choices where the first alone is meant",                          \
            "another equation's value", "the converse of deepspeedai/DeepSpeed#2551"),                                 \
        ROW(op, "LblConstant", "P from a softmax over the selected logits only, 0 elsewhere",                          \
            "nearly the same loss for any routing",                                                                    \
            "huggingface/transformers#28093, huggingface/transformers#28021, huggingface/transformers#28255, "         \
            "mindspore-ai/hyper-parallel#752"),                                                                        \
        ROW(op, "LblPerSequence", "the mean of the losses of two half batches",                                        \
            "sequences on one topic each look collapsed", SECOND_CODE),                                                \
        ROW(op, "LblGrad", "no gradient through P", "the right loss, balancing nothing", "laekov/fastmoe#50")

#define HALF_GRADIENT(op)                                                                                              \
    ROW(op, "GradScale", "half the gradient under the right value", "the logged loss is right and training is not",    \
        "NVIDIA/Megatron-LM#3672, NVIDIA/Megatron-LM#1330, NVIDIA-NeMo/Automodel#1408, NVIDIA-NeMo/Automodel#3359, "   \
        "huggingface/transformers#48690")

#define ZLOSS(op)                                                                                                      \
    ROW(op, "ZLossInput", "logsumexp of probabilities where logits are expected",                                      \
        "between ln(N)^2 and (1 + ln N)^2 whatever the logits", "huggingface/transformers#48421")

#define ORDERS_MET "NVIDIA/Megatron-LM#955, pytorch/torchtitan#1448, flashinfer-ai/flashinfer#2889, lablup/mlxcel#391"
#define ORDERS(op)                                                                                                     \
    ROW(op, "NormTopK/topk-softmax", "the weights of order=topk-softmax",                                              \
        "weights that sum to 1 where probabilities are meant", ORDERS_MET),                                            \
        ROW(op, "NormTopK/softmax-topk", "the weights of order=softmax-topk", "weights that do not sum to 1",          \
            ORDERS_MET),                                                                                               \
        ROW(op, "NormTopK/softmax-topk-renorm", "the weights of order=softmax-topk-renorm",                            \
            "weights that sum to 1 where probabilities are meant", ORDERS_MET),                                        \
        ROW(op, "DoubleSoftmaxWeights", "weights from a softmax over the selected probabilities",                      \
            "at K = 2 the weights are confined to [0.269, 0.731]", SECOND_CODE " (its XMoE and perturbed routers)")

#define SWAPPED(op)                                                                                                    \
    ROW(op, "SwappedWeights", "each token's K weights in reverse order", "the better expert gets the smaller weight",  \
        "comparisons that sort both sides let it pass; the converse slip of flashinfer-ai/flashinfer#2889")

#define COMBINE(op)                                                                                                    \
    ROW(op, "CombineGradNone", "no gradient through the weights of the combination",                                   \
        "the task does not train the scores", "AI-Hypercomputer/maxtext#5042")

#define MISALIGNED(op)                                                                                                 \
    ROW(op, "MisalignedExperts", "the outputs of expert i+1 credited to expert i",                                     \
        "weights and loads belong to another expert", FIRST_CODE " (shuffle mode), InternLM/xtuner#2053")

#define BIAS(op, which)                                                                                                \
    ROW(op, "MissingBias", which " left out", "right only while that bias is 0, as at initialisation",                 \
        "a slip of rewritten kernels")

#define GELU_TANH(op)                                                                                                  \
    ROW(op, "GeluTanh", "the tanh form of GELU for the exact one", "off by up to 5e-4 in the activation",              \
        "gelu_pytorch_tanh against gelu in published configurations")
#define GELU_ERF(op)                                                                                                   \
    ROW(op, "GeluErf", "the exact GELU for its tanh form", "off by up to 5e-4 in the activation",                      \
        "gelu_pytorch_tanh against gelu in published configurations")

#define RESPONSE(op)                                                                                                   \
    ROW(op, "ResponseNorm", "the L2 norm as response (version 1) for the mean softplus",                               \
        "competition by size, blind to sign", FIRST_CODE "; the docstring of " SECOND_CODE " still says norm"),        \
        ROW(op, "ResponseSum", "the response summed over the width, not averaged",                                     \
            "d times the scores, and a softmax near one-hot", "a slip that s/sum(s) hides"),                           \
        ROW(op, "SoftplusThreshold", "softplus replaced by the identity above 20",                                     \
            "off by up to 2e-9, visible in binary64 alone", "the default threshold of PyTorch's softplus")

#define SOFTMAX_SCORES(op)                                                                                             \
    ROW(op, "WeightsSoftmaxScores", "the winners' weights by softmax of s instead of s/sum(s)",                        \
        "scores near ln 2 give nearly equal weights", FIRST_CODE " (version 1's policy)")

#define DISTILL(op)                                                                                                    \
    ROW(op, "TargetNotDetached", "the target trained as well", "the router's loss moves the experts", FIRST_CODE),     \
        ROW(op, "TargetDetached", "the target held constant where it is to be trained", "no gradient reaches s",       \
            SECOND_CODE " against " FIRST_CODE),                                                                       \
        ROW(op, "TargetMasked", "the target softmax taken over the winners only (version 1)",                          \
            "losers are pushed to 0", FIRST_CODE),                                                                     \
        ROW(op, "DistillWinnersSum", "the winners' term summed over K, not averaged", "K times that term",             \
            "a circulating summary of arXiv:2505.13380 without the 1/K"),                                              \
        ROW(op, "DistillNoTheta", "theta left out: the winners' term with coefficient 1", "1/theta times that term",   \
            "a slip between the two forms of " SECOND_CODE),                                                           \
        ROW(op, "DistillNoWinners", "the winners' term left out", "the plain mean squared error",                      \
            SECOND_CODE " (hybrid=False, its default)"),                                                               \
        ROW(op, "PermutedScores", "the router's scores in descending order, not in the experts'",                      \
            "a perfect router is punished", FIRST_CODE)

#define DIVERSITY(op)                                                                                                  \
    ROW(op, "DiversitySquare", "the mean over K^2 entries with the diagonal zeroed", "(K-1)/K of the value",           \
        SECOND_CODE),                                                                                                  \
        ROW(op, "DiversityPairs", "the mean over K(K-1) pairs where K^2 is meant", "K/(K-1) times the value",          \
            "arXiv:2505.13380 as summarised against " SECOND_CODE),                                                    \
        ROW(op, "DiversityGram", "the raw Gram matrix of the outputs, not of their directions",                        \
            "small outputs pass for diverse", "C = O O^T read without its normalisation"),                             \
        ROW(op, "DiversitySum", "the sum over tokens and pairs, not the mean", "T K(K-1) times the value",             \
            "a missing reduction")

const twin_variant twin_variants[] = {
    ROW("numerics.softplus", "SoftplusThreshold", "the identity above 20",
        "off by up to 2e-9, visible in binary64 alone", "the default threshold of PyTorch's softplus"),
    GELU_TANH("numerics.gelu"),
    GELU_ERF("numerics.gelu"),

    BIAS("expert.relu", "b2"),
    BIAS("expert.gelu", "b2"),
    GELU_TANH("expert.gelu"),
    GELU_ERF("expert.gelu"),
    ROW("expert.swiglu", "SwappedGate", "SiLU on the branch of w3", "gate and up projection exchanged",
        "checkpoints with the fused gate and up projection in the other order"),

    BIAS("gate.linear", "br"),
    ORDERS("gate.weights"),
    SWAPPED("gate.weights"),

    ORDERS("layer.smoe"),
    SWAPPED("layer.smoe"),
    COMBINE("layer.smoe"),
    MISALIGNED("layer.smoe"),
    BIAS("layer.smoe", "the experts' b2"),
    GELU_TANH("layer.smoe"),
    HALF_GRADIENT("layer.smoe"),

    BALANCE("balance.switch"),
    HALF_GRADIENT("balance.switch"),
    ZLOSS("balance.zloss"),
    HALF_GRADIENT("balance.zloss"),

    RESPONSE("compete.response"),
    ROW("compete.response", "ResponseSoftplus", "the mean softplus as response where the norm is meant",
        "competition by the sign of the outputs", SECOND_CODE " against " FIRST_CODE),
    RESPONSE("compete.route"),
    ROW("compete.route", "ResponseSoftplus", "the mean softplus as response where the norm is meant",
        "competition by the sign of the outputs", SECOND_CODE " against " FIRST_CODE),
    SOFTMAX_SCORES("compete.route"),
    ROW("compete.route", "CompeteNormalisedWeights", "the winners' weights s/sum(s) where version 1's softmax is meant",
        "large norms no longer take all", SECOND_CODE " against " FIRST_CODE),
    SWAPPED("compete.route"),
    COMBINE("compete.route"),
    DISTILL("compete.distill"),
    HALF_GRADIENT("compete.distill"),
    DIVERSITY("compete.diversity"),
    HALF_GRADIENT("compete.diversity"),

    BALANCE("compete.layer"),
    ZLOSS("compete.layer"),
    ORDERS("compete.layer"),
    SWAPPED("compete.layer"),
    COMBINE("compete.layer"),
    MISALIGNED("compete.layer"),
    BIAS("compete.layer", "the experts' b2"),
    GELU_TANH("compete.layer"),
    RESPONSE("compete.layer"),
    SOFTMAX_SCORES("compete.layer"),
    DISTILL("compete.layer"),
    DIVERSITY("compete.layer"),
    HALF_GRADIENT("compete.layer"),
    {NULL, NULL, NULL, NULL, NULL},
};
