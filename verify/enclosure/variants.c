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

#define ANOTHER_SOFTMAX(op)                                                                                            \
    ROW(op, "LblDoubleSoftmax", "softmax taken twice: probabilities where logits are expected",                        \
        "P is squeezed towards uniform and the gradient with it",                                                      \
        "huggingface/transformers#39055, huggingface/transformers#45120")
#define DIVISORS(op)                                                                                                   \
    ROW(op, "LblProbOverTK", "P divided by T*K", "1/K of the value and of the gradient",                               \
        FIRST_CODE " and giangdip2410/SimSMoE"),                                                                       \
        ROW(op, "LblTopKNorm", "f over all K choices divided by T", "K times the value",                               \
            "huggingface/transformers#43775, allenai/OLMoE#40, allenai/OLMoE#45, jingyaogong/minimind#290"),           \
        ROW(op, "LblFirstChoiceOnly", "f counted from the first choice only",                                          \
            "the other K-1 choices are free to collapse",                                                              \
            "deepspeedai/DeepSpeed#2551, deepspeedai/DeepSpeed#5156, " SECOND_CODE)
#define NO_GRADIENT(op)                                                                                                \
    ROW(op, "LblGrad", "no gradient through P", "the right loss, balancing nothing", "laekov/fastmoe#50")
#define SELECTED_ONLY(op)                                                                                              \
    ROW(op, "LblConstant", "P from a softmax over the selected logits only, 0 elsewhere",                              \
        "nearly the same loss for any routing",                                                                        \
        "huggingface/transformers#28093, huggingface/transformers#28021, huggingface/transformers#28255, "             \
        "mindspore-ai/hyper-parallel#752")
#define HALVES(op)                                                                                                     \
    ROW(op, "LblPerSequence", "the mean of the losses of two half batches",                                            \
        "sequences on one topic each look collapsed", SECOND_CODE)
#define BALANCE(op)                                                                                                    \
    ANOTHER_SOFTMAX(op), DIVISORS(op), SELECTED_ONLY(op), NO_GRADIENT(op),                                             \
        ROW(op, "LblCountAll", "f counted from all K choices where the first alone is meant",                          \
            "another equation's value", "the converse of deepspeedai/DeepSpeed#2551"),                                 \
        HALVES(op)

#define HALF_GRADIENT(op)                                                                                              \
    ROW(op, "GradScale", "half the gradient under the right value", "the logged loss is right and training is not",    \
        "NVIDIA/Megatron-LM#3672, NVIDIA/Megatron-LM#1330, NVIDIA-NeMo/Automodel#1408, NVIDIA-NeMo/Automodel#3359, "   \
        "huggingface/transformers#48690")

#define SIMSMOE_CODE "giangdip2410/SimSMoE"
#define ANTIXK       "AntixK/PyTorch-Model-Compare"
#define MEDIANS_MET  "google-research's demonstration, " SIMSMOE_CODE ", " ANTIXK
#define MEDIANS(op)                                                                                                    \
    ROW(op, "RbfAbsoluteSigma", "sigma itself for sigma times the median distance",                                    \
        "independent features have a CKA of 1.0000 and a gradient of 5e-7", SIMSMOE_CODE),                             \
        ROW(op, "RbfFractionSigma", "sigma times the median distance for sigma itself",                                \
            "blind to the features' scale", "google-research's demonstration, where sigma is meant as given"),         \
        ROW(op, "MedianRule/with", "a median with the diagonal's zeros", "a smaller bandwidth", MEDIANS_MET),          \
        ROW(op, "MedianRule/without", "a median without the diagonal", "a larger bandwidth", MEDIANS_MET),             \
        ROW(op, "MedianRule/mean", "the mean of the middle two distances", "a larger bandwidth", MEDIANS_MET),         \
        ROW(op, "MedianRule/lower", "the lower of the middle two distances", "a smaller bandwidth",                    \
            MEDIANS_MET " (torch.median)"),                                                                            \
        ROW(op, "MedianRule/distance", "a median of distances, squared", "differs where the middle two are averaged",  \
            MEDIANS_MET),                                                                                              \
        ROW(op, "MedianRule/square", "a median of squared distances", "differs where the middle two are averaged",     \
            MEDIANS_MET),                                                                                              \
        ROW(op, "MedianUnscaled", "the median distance alone, without sigma", "another bandwidth",                     \
            "the median heuristic of kernel tests"),                                                                   \
        ROW(op, "SigmaNotSquared", "sigma times the median squared distance", "another bandwidth",                     \
            "sigma and sigma^2 mistaken"),                                                                             \
        ROW(op, "BandwidthDetached", "a bandwidth that is a constant of the gradient",                                 \
            "a part of the gradient missing", "a median under no_grad"),                                               \
        ROW(op, "BandwidthTrained", "a gradient through the bandwidth",                                                \
            "two samples get a part of the gradient of all", SIMSMOE_CODE " (sigma=None)")

#define KERNELS(op)                                                                                                    \
    MEDIANS(op),                                                                                                       \
        ROW(op, "KernelLinear", "the linear kernel for the RBF kernel", "another kernel", "a default left as it was"), \
        ROW(op, "KernelRbf", "the RBF kernel for the linear kernel", "another kernel", "a default left as it was"),    \
        ROW(op, "SquaredSigmaSlip/two", "exp(-D/sigma^2), without the 2", "half the bandwidth",                        \
            "gamma = 1/sigma^2 for 1/(2 sigma^2)"),                                                                    \
        ROW(op, "SquaredSigmaSlip/sigma", "exp(-D/(2 sigma)), not squared", "another bandwidth unless sigma is 1",     \
            "sigma and sigma^2 mistaken"),                                                                             \
        ROW(op, "SquaredSigmaSlip/distance", "exp(-|x-y|/(2 sigma^2)), not squared", "another kernel",                 \
            "cdist() for its square"),                                                                                 \
        ROW(op, "GramExpansion/f64", "distances as |x|^2 + |y|^2 - 2 <x,y> in binary64",                               \
            "1e-3 off at an offset of 1e6, 0 or below at 1e8", SIMSMOE_CODE ", " ANTIXK ", cdist() of large inputs"),  \
        ROW(op, "GramExpansion/f32", "distances as |x|^2 + |y|^2 - 2 <x,y> in binary32",                               \
            "wrong in the third digit at an offset of 1e2, 0 or below at 1e4",                                         \
            SIMSMOE_CODE ", " ANTIXK ", cdist() of large inputs"),                                                     \
        ROW(op, "TransposedFeatures", "features for samples", "X^T X for X X^T",                                       \
            "activations stored as features x samples")

#define ESTIMATOR(op)                                                                                                  \
    ROW(op, "BiasedSmallN", "HSIC_0 for HSIC_1",                                                                       \
        "independent features look alike: CKA is .82 at n = 4, .50 at 16, .20 at 64 for p = 16",                       \
        SIMSMOE_CODE " and most others"),                                                                              \
        ROW(op, "KernelDiagonalKept", "the diagonal of K and L kept in HSIC_1",                                        \
            "biased by what each sample is to itself", "a slip of rewritten estimators"),                              \
        ROW(op, "OneSideDetached", "no gradient to y", "one of the two is trained",                                    \
            "a stop-gradient taken from contrastive losses")

#define BIASED(op)                                                                                                     \
    ROW(op, "UnbiasedForBiased", "HSIC_1 for HSIC_0", "another equation's value, below 0 now and then",                \
        "the converse of BiasedSmallN"),                                                                               \
        ROW(op, "Uncentred", "kernels that are not centred", "offsets of the features look like similarity",           \
            "alignment of kernels against CKA"),                                                                       \
        ROW(op, "OneSideCentred", "sum (HK) o (HL) for sum (HKH) o (HLH)",                                             \
            "means of the rows stay; harmless only where one of the two is HKH", "a product by elements for a trace")

#define RATIO(op)                                                                                                      \
    ROW(op, "NegativeHsicRoot", "a negative HSIC_1 clamped at 0 so that a root exists",                                \
        "0 and no gradient; NaN unclamped", ANTIXK),                                                                   \
        ROW(op, "MissingRoot", "no root in the denominator", "not free of scale", "a slip of rewritten code"),         \
        ROW(op, "NormaliserDetached", "no gradient through the denominator", "grows features instead of turning them", \
            "a normaliser under no_grad")

#define HEAD(op)                                                                                                       \
    ROW(op, "HeadKind", "the linear head for the one with a hidden layer, or the converse", "another representation",  \
        "notes on arXiv:2406.15883 against " SIMSMOE_CODE),                                                            \
        ROW(op, "HeadNoActivation", "no ReLU in the head", "two matrices that are one", "a slip of rewritten heads"),  \
        ROW(op, "HeadGelu", "GELU in the head where it has ReLU", "off by up to 0.17 in a hidden unit",                \
            "the experts' activation taken for the head's"),                                                           \
        ROW(op, "HeadBias", "the head's biases left out", "hidden units switch elsewhere", "bias=False")

#define PAIRS(op)                                                                                                      \
    ROW(op, "PairsOnlyK2", "the pair of a token's first two experts alone", "right for K = 2 only",                    \
        SIMSMOE_CODE " (any other K ends in a ValueError)"),                                                           \
        ROW(op, "PairsExactSet", "tokens whose set of experts is the pair", "no pair ever shares a token for K > 2",   \
            SIMSMOE_CODE " (rows equal to (i, j))"),                                                                   \
        ROW(op, "PairsOfFirst", "pairs that hold a token's first expert", "(K-1) pairs for K(K-1)/2",                  \
            "a loop over the other choices alone"),                                                                    \
        ROW(op, "PairsNeighbours", "pairs of experts that are chosen one after the other", "(K-1) pairs for K(K-1)/2", \
            "a zip of the choices with themselves, moved by one"),                                                     \
        ROW(op, "PairsOrdered", "tokens that rank the lower expert first",                                             \
            "half of the tokens, as the router happens to rank them", "(i, j) and (j, i) taken for two pairs")

#define COUNTERS(op)                                                                                                   \
    ROW(op, "PairsUnit", "fractions of the batch where tokens are counted, or the converse",                           \
        "T times too rare, or too often", SIMSMOE_CODE " (fractions against a threshold of tokens)"),                  \
        ROW(op, "PairsOverTK", "a fraction divided by T K", "K times too rare", "LblProbOverTK's sibling"),            \
        ROW(op, "PairsEdge", ">= for > at the frequency, or the converse", "differs where counters are whole",         \
            SIMSMOE_CODE " against notes on arXiv:2406.15883"),                                                        \
        ROW(op, "PairsAbsent",                                                                                         \
            "a pair without tokens in this batch selected and reset, or left waiting, against what is asked",          \
            "a counter is spent on nothing", SIMSMOE_CODE " (reset)"),                                                 \
        ROW(op, "PairsBeforeBatch", "the counters compared before this batch is counted", "one batch late",            \
            "two lines in the other order"),                                                                           \
        ROW(op, "CounterNotReset", "a selected pair not reset", "compared in every batch from then on",                \
            "a reset that is forgotten"),                                                                              \
        ROW(op, "CounterResetAll", "every counter reset as soon as one pair is selected", "rare pairs never come up",  \
            "zeros_like for one entry"),                                                                               \
        ROW(op, "CounterCarried", "the frequency subtracted, not the counter reset", "pairs come up more often",       \
            "an accumulator that keeps its rest")

#define COMPARED(op)                                                                                                   \
    ROW(op, "HeadNone", "no head: the CKA of the experts' outputs", "nothing is projected",                            \
        "the CKA of analyses, not of the loss"),                                                                       \
        ROW(op, "HeadDetached", "no gradient to the head", "the experts alone are trained", "a frozen projection"),    \
        ROW(op, "ExpertsDetached", "no gradient to the experts",                                                       \
            "the head alone is trained, and can bring the loss to 0", "outputs detached with the tokens"),             \
        ROW(op, "ReluHardCoded", "ReLU experts whatever the activation is", "another expert than the layer's",         \
            SIMSMOE_CODE),                                                                                             \
        ROW(op, "RowsAll", "every token of the batch for those that the two share", "tokens that neither expert sees", \
            "experts evaluated densely"),                                                                              \
        ROW(op, "RowsEither", "the tokens that either expert has", "tokens that one of the two never sees",            \
            "or for and"),                                                                                             \
        ROW(op, "RowsShuffled", "the second expert's rows in the reverse order", "pairs of different tokens",          \
            "a dispatch by expert that is not undone"),                                                                \
        ROW(op, "XNotDetached", "a gradient to the tokens", "the layers below are trained to look alike or not",       \
            "x for x.detach()"),                                                                                       \
        ROW(op, "XDetached", "no gradient to the tokens where they are to get one",                                    \
            "the layers below are not trained", "the published form against the attached one"),                        \
        ROW(op, "UnselectedPairs", "every pair compared, selected or not", "the loss of the pairs of other steps too", \
            "a mask that is forgotten; StaleLoss's sibling"),                                                          \
        ROW(op, "PairsTwice", "(i, j) and (j, i) both counted", "twice the value", "a sum over the whole matrix"),     \
        ROW(op, "PairsReduce", "the mean over the pairs for the sum, or the converse", "1/pairs of the value",         \
            SIMSMOE_CODE " (sum)"),                                                                                    \
        ROW(op, "ThresholdMissing", "no threshold", "pairs that are apart are driven further",                         \
            "a test that is forgotten"),                                                                               \
        ROW(op, "ThresholdSubtracted", "CKA - T* for CKA", "the gradient is right, the value is not",                  \
            "a hinge in the place of a mask"),                                                                         \
        ROW(op, "SimilarityDistance", "1 - CKA for CKA", "experts are driven together",                                \
            "a distance under the name of a similarity"),                                                              \
        ROW(op, "OneSideDetached", "no gradient to the second expert", "one of the two is trained",                    \
            "a stop-gradient taken from contrastive losses"),                                                          \
        ROW(op, "BiasedSmallN", "HSIC_0 for HSIC_1", "independent experts look alike: CKA is .82 for 4 tokens",        \
            SIMSMOE_CODE),                                                                                             \
        ROW(op, "UnbiasedForBiased", "HSIC_1 for HSIC_0", "another equation's value", "the converse of BiasedSmallN"), \
        ROW(op, "RbfAbsoluteSigma", "sigma itself for sigma times the median distance",                                \
            "independent experts have a CKA of 1.0000 and a gradient of 5e-7", SIMSMOE_CODE),                          \
        ROW(op, "RbfFractionSigma", "sigma times the median distance for sigma itself",                                \
            "blind to the scale of the outputs", "google-research's demonstration against " SIMSMOE_CODE),             \
        ROW(op, "KernelLinear", "the linear kernel for the RBF kernel", "another kernel", "a default left as it was"), \
        ROW(op, "KernelRbf", "the RBF kernel for the linear kernel", "another kernel", "a default left as it was"),    \
        ROW(op, "Uncentred", "kernels that are not centred", "a common offset looks like similarity",                  \
            "alignment of kernels against CKA")

#define CKA_INSIDE(op)                                                                                                 \
    ROW(op, "PairsMeanActive", "the mean over the pairs above the threshold", "a larger value",                        \
        "two readings of a mean over pairs"),                                                                          \
        ROW(op, "ThresholdEdge", ">= for > at the threshold, or the converse", "differs where a CKA is exactly there", \
            SIMSMOE_CODE " against notes on arXiv:2406.15883"),                                                        \
        ROW(op, "SmallNNaN", "0 for pairs of less than four tokens", "few tokens look dissimilar",                     \
            SIMSMOE_CODE " (NaN for one token, which compares false)"),                                                \
        ROW(op, "NegativeHsicRoot", "a negative HSIC_1 clamped at 0 so that a root exists",                            \
            "0 and no gradient; NaN unclamped", ANTIXK),                                                               \
        ROW(op, "MissingRoot", "no root in the denominator", "not free of scale", "a slip of rewritten code"),         \
        ROW(op, "NormaliserDetached", "no gradient through the denominator",                                           \
            "shrinks outputs instead of turning them", "a normaliser under no_grad"),                                  \
        ROW(op, "TransposedFeatures", "features for tokens", "X^T X for X X^T",                                        \
            "activations stored as features x samples")

#define LAYER_TERMS(op)                                                                                                \
    ROW(op, "RouterGradient", "outputs weighted by the router before the head", "the similarity trains the router",    \
        "the layer's own weighted outputs compared"),                                                                  \
        ROW(op, "BetaTied", "c_similarity multiplied by c_balance", "no similarity without a balance",                 \
            SIMSMOE_CODE " (beta = lambda rho)"),                                                                      \
        ROW(op, "MissingCoefficient", "every term of the total with coefficient 1",                                    \
            "regularisers a hundred times as strong", "coefficients applied in the logged value alone")

#define LAYER(op)                                                                                                      \
    ANOTHER_SOFTMAX(op), DIVISORS(op), SELECTED_ONLY(op), NO_GRADIENT(op), HALVES(op), ORDERS(op), SWAPPED(op),        \
        COMBINE(op), MISALIGNED(op), BIAS(op, "the experts' b2"), GELU_TANH(op), HEAD(op), PAIRS(op), COUNTERS(op),    \
        COMPARED(op), LAYER_TERMS(op), HALF_GRADIENT(op)
#define TASK(op)                                                                                                       \
    ROW(op, "TaskSum", "the task's squares summed, not averaged", "T d times the task loss", "reduction=sum"),         \
        ROW(op, "TaskOverTokens", "the task's squares averaged over tokens, summed over the width",                    \
            "d times the task loss", "two readings of a mean squared error"),                                          \
        ROW(op, "TaskDetached", "no gradient through the task loss", "the total trains the regularisers alone",        \
            "an output detached for logging")

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

#define DISTILL_1(op)                                                                                                  \
    ROW(op, "TargetFull", "the target softmax taken over all experts where the winners alone are meant (version 2)",   \
        "losers keep part of the target", SECOND_CODE " against " FIRST_CODE),                                         \
        ROW(op, "RouterMasked", "the router's softmax taken over the winners as well",                                 \
            "logits outside the winners get no gradient", "a second reading of TopK inside the router's policy"),      \
        ROW(op, "DistillExpertsSum", "the squares summed over the experts, not averaged", "N times the value",         \
            "a missing reduction")

#define OLD_SCORES(op)                                                                                                 \
    ROW(op, "ResponseSoftplus", "the mean softplus as response where the norm is meant",                               \
        "competition by the sign of the outputs", SECOND_CODE " against " FIRST_CODE)

#define OLD_WEIGHTS(op)                                                                                                \
    ROW(op, "CompeteNormalisedWeights", "the winners' weights s/sum(s) where version 1's softmax is meant",            \
        "large norms no longer take all", SECOND_CODE " against " FIRST_CODE)

#define MIX(op)                                                                                                        \
    ROW(op, "MixSwapped", "the share given to the response, the rest to the router", "right at 1/2 alone",             \
        "a slip between the two terms of " FIRST_CODE "'s combine_gate"),                                              \
        ROW(op, "MixGradNone", "no gradient to the router through its share", "the task does not train the router",    \
            "a target computed outside the graph, as " SECOND_CODE " has it"),                                         \
        ROW(op, "MixNone", "the router's share left out", "the plain response, at full size",                          \
            FIRST_CODE " (10 of 16 scripts)"),                                                                         \
        ROW(op, "MixSum", "response and logits added, not averaged", "twice the scores at share 1/2",                  \
            "a slip that a selection hides")

#define STEP(op)                                                                                                       \
    ROW(op, "StaleLoss", "the losses of the last competition in a step without one",                                   \
        "distillation and diversity are counted twice", FIRST_CODE " (gate.loss is not cleared)"),                     \
        ROW(op, "RequiresGradSwitch", "a competition skipped, and every loss of the layer with it",                    \
            "a layer above a frozen part neither competes nor balances",                                               \
            SECOND_CODE " (x.requires_grad as the switch)"),                                                           \
        ROW(op, "MissingCoefficient", "every term of the total with coefficient 1",                                    \
            "regularisers a hundred times as strong", "coefficients applied in the logged value alone")

#define CAPACITY_MET "deepspeedai/DeepSpeed#1658, deepspeedai/DeepSpeed#5353, huggingface/transformers#48421"
#define QUEUE(op)                                                                                                      \
    ROW(op, "CapacityDrop/token", "choices queued token by token",                                                     \
        "second choices of early tokens displace first choices of late ones", CAPACITY_MET),                           \
        ROW(op, "CapacityDrop/choice", "all first choices queued before any second", "the converse", CAPACITY_MET),    \
        ROW(op, "CapacityDrop/last", "the last comers kept instead of the first", "early tokens are the ones dropped", \
            CAPACITY_MET)

#define RELU_KINK(op)                                                                                                  \
    ROW(op, "ReluKink", "the derivative of ReLU at 0 taken for 1", "gradients where a hidden unit is exactly 0",       \
        "a mask written a >= 0")

#define FASTMOE     "laekov/fastmoe"
#define XMOE_CODE   "microsoft/torchscale"
#define STABLE_CODE "Hunter-DDM/stablemoe"

#define SOFTMAX_FIRST(op)                                                                                              \
    ROW(op, "NormTopK/softmax-topk", "the selected probabilities of a softmax over all",                               \
        "weights that do not sum to 1", ORDERS_MET)
#define SOFTMAX_TWICE(op)                                                                                              \
    ROW(op, "DoubleSoftmaxWeights", "weights from a softmax over the selected probabilities",                          \
        "at K = 2 the weights are confined to [0.269, 0.731]", SECOND_CODE " (its XMoE and perturbed routers)")

#define JITTER(op)                                                                                                     \
    ROW(op, "JitterAdded", "the multipliers added to the logits", "a shift by about 1, and noise of another size",     \
        FIRST_CODE " (its Switch gate)"),                                                                              \
        ROW(op, "JitterLogits", "the multipliers applied to the logits, not to the token",                             \
            "the bias is scaled too, and logits of one token shake independently", "a slip of rewritten gates"),       \
        ROW(op, "JitterIgnored", "no jitter", "training as in evaluation", "gates that read the mode off elsewhere"),  \
        ROW(op, "JitterGrad", "the right logits and a gradient of the token without its multipliers",                  \
            "off by the jitter, 1 % at its usual size", "hand-written backward passes")

#define NOISY(op)                                                                                                      \
    ROW(op, "NoiseIgnored", "the clean scores in place of the noisy ones", "no exploration, and no gradient of wn",    \
        "evaluation mode left on"),                                                                                    \
        ROW(op, "NoisyWeights", "weights by the clean scores of the experts that noise selected",                      \
            "the weights are not those of the selection", "a slip of rewritten gates"),                                \
        ROW(op, "NoisyStd", "the noise scaled by x wn itself, without softplus", "a size that may be negative",        \
            "a slip of rewritten gates"),                                                                              \
        ROW(op, "NoiseGrad", "no gradient through the noise's size", "wn is never trained",                            \
            "a noisy part taken under no_grad"),                                                                       \
        ROW(op, "NoisyEpsilon", "0.01 added to the size of the noise", "noise where the paper has next to none",       \
            FASTMOE " and its descendants"),                                                                           \
        ROW(op, "NoisyEpsilonMissing", "epsilon left out of the noise's size", "a size that may vanish",               \
            "the paper's form against " FASTMOE),                                                                      \
        ROW(op, "SoftplusThreshold", "softplus replaced by the identity above 20",                                     \
            "off by up to 2e-9, visible in binary64 alone", "the default threshold of PyTorch's softplus")

#define EPSILON(op, epsilon, met)                                                                                      \
    ROW(op, "LblEpsHack", epsilon " added to the sum that normalises", "small scores stop summing to 1", met)

#define AFFINITY(op)                                                                                                   \
    ROW(op, "SigmoidUnnormalised", "the affinities themselves where their shares are meant",                           \
        "weights that do not sum to 1", "sigma-MoE's form for that of " SECOND_CODE),                                  \
        ROW(op, "SigmoidNormalised", "the affinities' shares where they themselves are meant",                         \
            "weights that sum to 1", SECOND_CODE "'s form for that of sigma-MoE"),                                     \
        EPSILON(op, "2^-23", "NVIDIA/Megatron-LM#1545; guards of one binary32 epsilon"), SWAPPED(op)

#define SCHEDULE(op)                                                                                                   \
    ROW(op, "ScheduleFloor", "rounding down", "k_max is reached at the last step only", "integer division"),           \
        ROW(op, "ScheduleRound", "halves rounded the other way", "off by one on exact halves",                         \
            "round() of Python, to even, against that of C, away from zero"),                                          \
        ROW(op, "ScheduleClamp", "no end to the schedule", "more experts than there are",                              \
            "training resumed beyond it")

#define GSHARD(op)                                                                                                     \
    ROW(op, "GshardOrder", "places taken token by token", "second choices crowd out first ones",                       \
        "a slip of rewritten dispatchers; deepspeedai/DeepSpeed#1658"),                                                \
        ROW(op, "GshardLastFirst", "places taken from the last token to the first", "other tokens are dropped",        \
            "sorts that are not stable; deepspeedai/DeepSpeed#5353"),                                                  \
        ROW(op, "CapacityDrop", "no capacity", "nothing is dropped", "laekov/fastmoe#129"),                            \
        ROW(op, "GshardSecond", "the second choice sent if its share exceeds the draw, not twice its share",           \
            "second choices go half as often", "a factor that rewritten gates lose"),                                  \
        ROW(op, "SecondAlways", "every second choice sent", "more load than the policy allows",                        \
            "plain top-2 gates under GShard's name"),                                                                  \
        ROW(op, "GshardRenorm", "weights normalised on the other side of the drop",                                    \
            "a choice alone weighs 1 where its share is meant, or its share where 1 is", XMOE_CODE " has both"),       \
        ROW(op, "GshardDropped", "the weight of a choice that was dropped left standing",                              \
            "kept says one thing and weight another", "masks applied to dispatch alone"),                              \
        ROW(op, "GshardGrad", "a gradient of choices that were dropped",                                               \
            "experts that saw nothing pull at the router", "a mask applied outside of autograd"),                      \
        ROW(op, "NormaliserDetached", "no gradient through the sum that normalises",                                   \
            "another gradient under the right weights", "denominators taken under no_grad"),                           \
        EPSILON(op, "1e-9", "Mesh TensorFlow's gate and its descendants"), SOFTMAX_FIRST(op)

#define HYPER(op)                                                                                                      \
    ROW(op, "HyperLinear", "no ReLU in the hypernetwork", "the router is linear in its embedding",                     \
        "a slip of rewritten gates"),                                                                                  \
        ROW(op, "HyperTransposed", "the first layer transposed", "fits where its sizes are equal",                     \
            "a slip of layout"),                                                                                       \
        RELU_KINK(op),                                                                                                 \
        ROW(op, "HyperDetach", "no gradient through the hypernetwork", "the embedding is never trained",               \
            "freezing the whole hypernetwork's graph with its weights")

#define ENTROPY(op)                                                                                                    \
    ROW(op, "EntropyOfProbs", "softmax taken twice: probabilities where logits are expected",                          \
        "near ln N whatever the router does", SECOND_CODE " (its language-model part)"),                               \
        ROW(op, "EntropyBits", "logarithms to base 2", "1.44 times the value", "a convention; name it"),               \
        ROW(op, "EntropyNormalised", "ln N divided out", "between 0 and 1", "a convention; name it"),                  \
        ROW(op, "EntropySign", "the sum of p ln p without its minus", "a negative entropy",                            \
            "the balance loss's form"),                                                                                \
        ROW(op, "EntropyMean", "the sum over the tokens, not the mean", "T times the mean", "a missing reduction")

#define COSINE_MET XMOE_CODE " (its input is not normalised), " FIRST_CODE
#define XMOE(op)                                                                                                       \
    ROW(op, "UnnormalisedCosine", "a product with the token as it is, not with its direction",                         \
        "logits that grow with the token", COSINE_MET),                                                                \
        ROW(op, "NormalisedInput", "the token's direction where the token as it is is meant",                          \
            "logits that do not grow with the token", "the paper's form against " XMOE_CODE),                          \
        ROW(op, "UnnormalisedEmbedding", "the experts' embeddings as they are, not their directions",                  \
            "the longest embedding wins", SECOND_CODE " (embeddings that are not normalised again)"),                  \
        ROW(op, "MissingNorm", "the embeddings' length left out", "logits 1.5 times too small", XMOE_CODE),            \
        ROW(op, "MissingTemperature", "the temperature left out of the weights", "weights that hardly differ",         \
            FIRST_CODE " and giangdip2410/SimSMoE"),                                                                   \
        ROW(op, "TemperatureDetached", "no gradient of the temperature", "the temperature is never trained",           \
            SECOND_CODE " (fixed at 0.3)"),                                                                            \
        ROW(op, "XmoeSigmoidGate", "the sigmoid gate where the softmax is meant", "weights that do not compete",       \
            "the paper has both"),                                                                                     \
        ROW(op, "XmoeSoftmaxGate", "the softmax gate where the sigmoid is meant", "weights that compete",              \
            "the paper has both"),                                                                                     \
        SOFTMAX_TWICE(op),                                                                                             \
        ROW(op, "TopOneZeroGrad", "a softmax over the chosen scores alone",                                            \
            "weights that sum to 1; at K = 1 no gradient at all",                                                      \
            "NVIDIA/Megatron-LM#894, davidmrau/mixture-of-experts#27, " FIRST_CODE)

#define PERTURBED(op)                                                                                                  \
    ROW(op, "UnnormalisedCosine", "the token as it is, not divided by its damped length",                              \
        "logits that grow with the token", COSINE_MET),                                                                \
        ROW(op, "MissingDamping", "plain cosines", "the perturbation is what the paper is about",                      \
            "a cosine gate under the perturbed one's name"),                                                           \
        ROW(op, "SwappedTau", "the two dampings exchanged", "the same only where they are equal",                      \
            "a slip of rewritten gates"),                                                                              \
        ROW(op, "DampedProduct", "one damping added to the product of the lengths", "short vectors are damped less",   \
            "the epsilon of a library's cosine similarity"),                                                           \
        ROW(op, "MutatingEval", "embeddings rescaled by each evaluation, 1.5 e / (|e| + 0.1)",                         \
            "the same input gives other logits at the next call", SECOND_CODE " (its perturbed cosine)")

#define STABLE(op)                                                                                                     \
    ROW(op, "StageConfused", "the other stage's router selecting", "tokens go where they did not",                     \
        "a flag that evaluation forgets; " STABLE_CODE),                                                               \
        ROW(op, "DistilledWeight", "the weight taken from the distilled scores",                                       \
            "the centroids are no longer trained", "a slip of rewritten gates"),                                       \
        ROW(op, "SoftmaxWeight", "the softmax over all experts for the sigmoid", "weights that compete",               \
            FIRST_CODE " (its StableMoE gate)"),                                                                       \
        ROW(op, "TopOneZeroGrad", "a softmax over the chosen score alone", "weight 1 and no gradient",                 \
            "NVIDIA/Megatron-LM#894, davidmrau/mixture-of-experts#27"),                                                \
        ROW(op, "StableNoSigmoid", "the score itself as weight", "weights beyond [0, 1]", "a slip of rewritten gates")

#define DISTILLED(op)                                                                                                  \
    ROW(op, "DistillReduce", "the sum for the mean, or the mean for the sum", "T times the coefficient, or 1/T",       \
        STABLE_CODE " sums"),                                                                                          \
        ROW(op, "CrossEntropyInput", "the cross-entropy of probabilities where scores are expected",                   \
            "a loss that cannot come near 0",                                                                          \
            "log_softmax applied twice; huggingface/transformers#48421 is of this kind"),                              \
        ROW(op, "ScatterOverwrite", "only the last token of an id training its row",                                   \
            "gradients of repeated ids are lost", "assignments in place of accumulations in hand-written scatters")

#define DEEPSEEK(op)                                                                                                   \
    ROW(op, "BiasLeak", "weights from the biased scores", "the balancing bias reaches the output",                     \
        "huggingface/transformers#41647, PaddlePaddle/PaddleFormers#3452, deepspeedai/DeepSpeed#8358"),                \
        ROW(op, "IgnoredBias", "a selection without the bias", "nothing is balanced", SECOND_CODE),                    \
        ROW(op, "IgnoredGroups", "a selection over all groups", "more devices than allowed", SECOND_CODE),             \
        ROW(op, "GroupMax", "a group scored by its best expert, not by its two best",                                  \
            "groups of one strong expert win", "the rule of the version before"),                                      \
        ROW(op, "GroupMaskZero", "experts outside of the groups scored 0, not out of reach",                           \
            "they win where all others are negative", "deepseek-ai/DeepSeek-V3#741"),                                  \
        ROW(op, "SoftmaxScores", "a softmax for the sigmoid", "scores that compete", SECOND_CODE),                     \
        ROW(op, "MissingScale", "route_scale left out", "outputs 2.5 times too small", SECOND_CODE)

#define SWITCH_GROUPS(op)                                                                                              \
    ROW(op, "LblDivideByChoices", "f divided by T*K where T is meant", "1/K of the value",                             \
        "the converse of huggingface/transformers#43775"),                                                             \
        ROW(op, "LblCrossLayer", "layers or sequences pooled before f and P", "opposite collapses cancel",             \
            "huggingface/transformers#31464, huggingface/transformers#29503, QwenLM/Qwen3#1418"),                      \
        ROW(op, "LblLayerMean", "the mean over the layers where the sum is meant", "1/L of the value",                 \
            "NVIDIA/Megatron-LM#3672 is of this kind"),                                                                \
        ROW(op, "LblLayerSum", "the sum over the layers where the mean is meant", "L times the value",                 \
            "NVIDIA/Megatron-LM#3672 is of this kind"),                                                                \
        ROW(op, "LblPadding", "padding counted in f, P and their divisors", "the loss follows the padding",            \
            "huggingface/transformers#28505, huggingface/transformers#29363"),                                         \
        ROW(op, "LblPaddingDenominator", "padding left out of the sums and counted in their divisors",                 \
            "smaller by the square of the share that is real", "NVIDIA/Megatron-LM#1984, NVIDIA/Megatron-LM#1617"),    \
        ROW(op, "LblDroppedP", "P over the tokens that kept a choice, divided by all", "P no longer sums to 1",        \
            FASTMOE " (its Switch gate)"),                                                                             \
        ROW(op, "LblAfterCapacity", "f counted before the capacity, not after it",                                     \
            "the collapse that was dropped still counts", "the paper's form against " FASTMOE)

#define CV(op)                                                                                                         \
    ROW(op, "Cv2Variance", "n - 1 in the variance where n is meant", "N/(N-1) of the value: 4/15 for 1/5",             \
        FASTMOE " and its descendants"),                                                                               \
        ROW(op, "Cv2Population", "n in the variance where n - 1 is meant", "(N-1)/N of the value",                     \
            "the paper's form against " FASTMOE),                                                                      \
        ROW(op, "CvEpsilon", "1e-10 added to the squared mean", "small loads look balanced",                           \
            FASTMOE " and its descendants"),                                                                           \
        ROW(op, "CvEpsilonMissing", "epsilon left out of the squared mean", "a larger value",                          \
            "the paper's form against " FASTMOE),                                                                      \
        ROW(op, "CvNotSquared", "the mean itself in the denominator, not its square", "the value grows with the load", \
            "the index of dispersion under the name of the coefficient of variation"),                                 \
        HALF_GRADIENT(op)

#define LOAD(op)                                                                                                       \
    ROW(op, "ThresholdDetached", "no gradient through the threshold", "the scores that set it are not trained",        \
        "a top-k under no_grad"),                                                                                      \
        ROW(op, "ThresholdTrained", "a gradient through the threshold where it is a constant",                         \
            "the scores that set it are trained", FASTMOE),                                                            \
        ROW(op, "LoadThreshold", "the K-th largest score as threshold of all", "the K-th expert has to beat itself",   \
            "a slip of rewritten gates"),                                                                              \
        ROW(op, "LoadOfNoisy", "the noisy score compared, not the clean one", "the noise that was drawn counts twice", \
            "a slip of rewritten gates")

#define POOLED(op)                                                                                                     \
    ROW(op, "LblCrossLayer", "layers or sequences pooled before f and P", "opposite collapses cancel",                 \
        "huggingface/transformers#31464, huggingface/transformers#29503, QwenLM/Qwen3#1418")
#define CAPACITY_SIDE(op)                                                                                              \
    ROW(op, "LblAfterCapacity", "counts on the other side of the capacity", "a collapse that was dropped, or was not", \
        "the published pseudo-code against " XMOE_CODE)

#define XMOE_BALANCE(op)                                                                                               \
    ROW(op, "XmoeCount", "the number of tokens for their share, or the reverse", "T times the value, or 1/T",          \
        "the paper's words against Switch's form"),                                                                    \
        ROW(op, "XmoeTemperature", "the temperature left out", "a softmax as flat as cosines make it",                 \
            "a slip of rewritten gates"),                                                                              \
        ROW(op, "LblSumOverTokens", "the sum over the tokens, not the mean", "T times the value",                      \
            "a missing reduction")

#define STABLE_BALANCE(op)                                                                                             \
    ROW(op, "StableAllGates", "the gates of all tokens, not of an expert's own",                                       \
        "idle experts are pulled up, which the equation does not do", "a slip of rewritten losses"),                   \
        ROW(op, "StableExcess", "the load over the mean load, without its - 1", "a balanced batch is pushed too",      \
            "a slip of rewritten losses"),                                                                             \
        ROW(op, "StableNoSigmoid", "scores where gates are meant", "unbounded below", "a slip of rewritten losses"),   \
        ROW(op, "StableMean", "the mean over the tokens, not the sum", "1/T of the value", "a reduction too many"),    \
        ROW(op, "CoefficientLeftOut", "alpha left out", "1/alpha of the value", "a coefficient applied elsewhere")

#define ENTROPY_BALANCE(op)                                                                                            \
    ROW(op, "EntropyOfProbs", "softmax taken twice: probabilities where logits are expected",                          \
        "-4.144 collapsed and -4.159 balanced for 64 experts", SECOND_CODE " (its language-model part)"),              \
        ROW(op, "EntropyOfTokens", "the mean of the tokens' entropies, not the entropy of the mean",                   \
            "undecided tokens are rewarded, not balance", "a mean taken too late"),                                    \
        ROW(op, "EntropySign", "the entropy itself as loss", "balance is punished", "the diagnostic's sign"),          \
        HALVES(op), POOLED(op)

#define DEEPSEEK_BALANCE(op)                                                                                           \
    ROW(op, "BiasLeak", "P of the biased affinities", "the bias is balanced against itself",                           \
        "huggingface/transformers#41647 has it in the weights"),                                                       \
        ROW(op, "IgnoredBias", "a selection without the bias", "other counts than the layer's", SECOND_CODE),          \
        ROW(op, "DeepseekSoftmax", "P by a softmax of the affinities", "P is nearly uniform", SECOND_CODE),            \
        ROW(op, "AffinityNotNormalised", "P of the affinities themselves", "all experts are pushed down at once",      \
            "a division left out"),                                                                                    \
        EPSILON(op, "2^-23", "NVIDIA/Megatron-LM#1545; guards of one binary32 epsilon"), DIVISORS(op),                 \
        ROW(op, "LblLayerSum", "the sum over the sequences, not the mean", "B times the value",                        \
            "NVIDIA/Megatron-LM#3672 is of this kind"),                                                                \
        ROW(op, "CoefficientLeftOut", "alpha left out", "1/alpha of the value", "a coefficient applied elsewhere"),    \
        POOLED(op)

#define BIAS_UPDATE(op)                                                                                                \
    ROW(op, "BiasSign", "the other sign", "crowded experts are preferred", "a difference the wrong way round"),        \
        ROW(op, "BiasSignZero", "an expert at the mean counted as below it", "the biases drift up",                    \
            ">= for >, or a sign without a 0"),                                                                        \
        ROW(op, "BiasProportional", "a step in proportion to the excess, not of one size",                             \
            "steps hundreds of times gamma", "a rule that the paper only discusses"),                                  \
        ROW(op, "BiasMedian", "the median load for the mean", "half of the experts always move up",                    \
            "a slip of rewritten updates")

#define GLOBAL_BALANCE(op)                                                                                             \
    ROW(op, "GlobalMicro", "f of each micro-batch by itself", "balance inside every micro-batch is demanded",          \
        "training without an exchange of counts"),                                                                     \
        ROW(op, "GlobalAccumulated", "f of the micro-batches so far", "the first micro-batches see little",            \
            "a buffer over accumulation steps where all counts are meant"),                                            \
        ROW(op, "GlobalWhole", "f of all tokens", "micro-batches of one topic pass", "the converse"),                  \
        ROW(op, "LblLayerSum", "the sum over the micro-batches, not the mean", "M times the value and gradient",       \
            "NVIDIA/Megatron-LM#3672, NVIDIA/Megatron-LM#1330")

/* Mistakes in a mixture's density. */
#define MIXTURE(op)                                                                                                    \
    ROW(op, "GateSign", "responses themselves for their scores", "negative means lose", "exp h for exp |h|"),          \
        ROW(op, "GateDetached", "no gradient through the scores of the responses", "a competition trained as a gate",  \
            "a gate's weights detached"),                                                                              \
        ROW(op, "FreeWeightDropped", "free weights left out, or put in where there are none", "another gate",          \
            "spec T.15"),                                                                                              \
        ROW(op, "TopKNoRenorm", "weights of all atoms, of which the largest are kept", "integrates to less than 1",    \
            "top K after the softmax"),                                                                                \
        ROW(op, "TopKAfterFree", "atoms chosen by their scores with the free weights added", "another choice",             \
            "selection on biased scores, as in bias-balanced routers"),                                                \
        ROW(op, "GateNotNormalised", "weights without their normaliser", "no density", "unnormalised log-weights"),    \
        ROW(op, "NuIsSigma", "nu taken for the deviation", "another scale", "a variance taken for a deviation"),       \
        ROW(op, "NoTwoPi", "without ln 2 pi", "off by a constant", "constants dropped from a likelihood")

const twin_variant twin_variants[] = {
    ROW("numerics.softplus", "SoftplusThreshold", "the identity above 20",
        "off by up to 2e-9, visible in binary64 alone", "the default threshold of PyTorch's softplus"),
    GELU_TANH("numerics.gelu"),
    GELU_ERF("numerics.gelu"),

    BIAS("expert.relu", "b2"),
    RELU_KINK("expert.relu"),
    BIAS("expert.gelu", "b2"),
    GELU_TANH("expert.gelu"),
    GELU_ERF("expert.gelu"),
    ROW("expert.swiglu", "SwappedGate", "SiLU on the branch of w3", "gate and up projection exchanged",
        "checkpoints with the fused gate and up projection in the other order"),
    RELU_KINK("expert.keyvalue"),
    ROW("expert.keyvalue", "TransposedWeights", "keys and values transposed", "fits where d = h, and is another matrix",
        "weights loaded into a linear layer, which keeps [out, in]"),
    ROW("expert.keyvalue", "MissingActivation", "no activation", "a product of two matrices, linear in x",
        "a slip of rewritten kernels"),
    ROW("expert.keyvalue", "GeluForRelu", "GELU for ReLU", "small negative outputs where 0 is meant",
        "the activation of the vision part of " SECOND_CODE " in its language part"),
    ROW("expert.keyvalue", "ReluSquared", "the square of ReLU", "the activation of another family of experts",
        "Primer's squared ReLU (arXiv:2109.08668)"),

    BIAS("gate.linear", "br"),
    ORDERS("gate.weights"),
    SWAPPED("gate.weights"),

    JITTER("gate.jitter"),
    BIAS("gate.jitter", "br"),
    NOISY("gate.noisy"),
    SOFTMAX_FIRST("gate.noisy"),
    SOFTMAX_TWICE("gate.noisy"),
    SWAPPED("gate.noisy"),
    AFFINITY("gate.sigmoid"),
    ROW("gate.sigmoid", "SigmoidSoftmax", "weights from a softmax over the selected logits",
        "large logits no longer share", "gates that changed the name and not the function"),
    SOFTMAX_FIRST("gate.dropout"),
    SOFTMAX_TWICE("gate.dropout"),
    SWAPPED("gate.dropout"),
    ROW("gate.dropout", "FrozenDetach", "no gradient to the token through the frozen router",
        "the layers below do not feel the router", "freezing by no_grad around the gate's forward"),
    SCHEDULE("gate.dropout.schedule"),
    GSHARD("gate.gshard"),
    SWAPPED("gate.gshard"),
    HYPER("gate.hyper"),
    XMOE("gate.xmoe"),
    SWAPPED("gate.xmoe"),
    PERTURBED("gate.perturbed"),
    STABLE("gate.stable"),
    DISTILLED("gate.stable.distill"),
    HALF_GRADIENT("gate.stable.distill"),
    DEEPSEEK("gate.deepseek"),
    AFFINITY("gate.deepseek"),
    ENTROPY("gate.entropy"),

    ORDERS("layer.smoe"),
    SWAPPED("layer.smoe"),
    COMBINE("layer.smoe"),
    MISALIGNED("layer.smoe"),
    BIAS("layer.smoe", "the experts' b2"),
    GELU_TANH("layer.smoe"),
    HALF_GRADIENT("layer.smoe"),

    ORDERS("layer.capacity"),
    SWAPPED("layer.capacity"),
    QUEUE("layer.capacity"),
    ROW("layer.capacity", "CapacityDrop/probability", "the largest weights kept instead of the first comers",
        "other tokens are dropped", CAPACITY_MET),
    ROW("layer.capacity", "CapacityDrop/position", "the first comers kept instead of the largest weights",
        "other tokens are dropped", CAPACITY_MET),
    ROW("layer.capacity", "CapacityDrop/none", "no capacity", "nothing is dropped", CAPACITY_MET),
    ROW("layer.capacity", "CapacityDrop/minimum", "the least capacity left out", "small batches are dropped",
        CAPACITY_MET),
    ROW("layer.capacity", "CapacityDrop/weights", "dropped choices left with their weights",
        "weights for outputs that nobody computes", CAPACITY_MET),
    ROW("layer.capacity", "CapacityDrop/gradient", "the gradient of dropped choices passed on",
        "the router is trained for what it did not send", "a mask applied to the value alone"),
    ROW("layer.capacity", "CapacityRound/floor", "the capacity rounded down", "up to N places fewer", CAPACITY_MET),
    ROW("layer.capacity", "CapacityRound/ceil", "the capacity rounded up", "up to N places more", CAPACITY_MET),
    ROW("layer.capacity", "CapacityNoK", "the capacity from T/N, without K", "1/K of the places",
        "versions of NVIDIA/Megatron-LM"),
    ROW("layer.capacity", "CapacityRenorm", "the weights renormalised after dropping", "what is left weighs more",
        "GShard's two readings (arXiv:2006.16668)"),

    QUEUE("layer.dispatch"),
    ROW("layer.dispatch", "CapacityDrop/clamped", "overflow written to the last place",
        "one place of each full expert holds another token", CAPACITY_MET),
    MISALIGNED("layer.dispatch"),
    ROW("layer.dispatch", "EmptySlotFilled", "empty places filled with the first token",
        "experts compute, and pass gradients to, what nobody sent", "a gather whose padding is index 0"),
    ROW("layer.dispatch", "DispatchGradNone", "no gradient through the buffers",
        "tokens learn nothing from the experts", "a scatter outside the graph"),

    SWAPPED("layer.combine"),
    COMBINE("layer.combine"),
    MISALIGNED("layer.combine"),
    ROW("layer.combine", "NegativeSlot", "the place -1 of a dropped choice read as the last place",
        "dropped choices bring another token's output", "negative indices of NumPy and PyTorch"),
    ROW("layer.combine", "CapacityRenorm", "the weights renormalised over what was kept", "what is left weighs more",
        "GShard's two readings (arXiv:2006.16668)"),
    ROW("layer.combine", "OverflowZero", "0 for a token that nobody served", "the token is erased",
        "Switch against StableMoE's official code"),
    ROW("layer.combine", "OverflowPass", "the token itself where 0 is meant", "it is added twice beside a residual",
        "StableMoE's official code against Switch"),
    ROW("layer.combine", "OverflowPartly", "the token added as soon as one of its choices was dropped",
        "tokens that were served in part are added on top", "a mask with any for all"),
    ROW("layer.combine", "OverflowResidual", "the token added to every y", "a residual connection inside the layer",
        "StableMoE's h + FFN"),

    ORDERS("layer.shared"),
    SWAPPED("layer.shared"),
    COMBINE("layer.shared"),
    MISALIGNED("layer.shared"),
    BIAS("layer.shared", "the experts' b2 and bs2"),
    GELU_TANH("layer.shared"),
    HALF_GRADIENT("layer.shared"),
    ROW("layer.shared", "SharedSum", "the sum where half of each part, or a residual, is meant",
        "outputs twice as large, or without the token", "DeepSeekMoE (arXiv:2401.06066) against " SECOND_CODE),
    ROW("layer.shared", "SharedHalf", "half of the shared and half of the routed part where their sum is meant",
        "half the output", SECOND_CODE " (its shared-expert router) against DeepSeekMoE (arXiv:2401.06066)"),
    ROW("layer.shared", "SharedResidual", "the token added where the layer has no residual",
        "it is added twice beside a residual", "DeepSeekMoE (arXiv:2401.06066), whose equation holds the residual"),
    ROW("layer.shared", "SharedMean", "the mean of the shared experts, not their sum", "1/M of the shared part",
        "two readings of several shared experts"),
    ROW("layer.shared", "SharedDetached", "no gradient from the shared experts to the tokens",
        "the layers below learn from the routed part alone", "a shared branch run beside the graph"),
    ROW("layer.shared", "SharedInWeights", "the routed weights scaled by K/(K+M)",
        "the routed part shrinks as experts are shared", "shared experts counted among the K that the weights are for"),

    ROW("layer.load", "LblFirstChoiceOnly", "load counted from the first choice only",
        "the other K-1 choices are not seen", "deepspeedai/DeepSpeed#2551, deepspeedai/DeepSpeed#5156, " SECOND_CODE),
    ROW("layer.load", "LblTopKNorm", "shares of all K choices divided by T", "shares that sum to K",
        "huggingface/transformers#43775, allenai/OLMoE#40"),
    ROW("layer.load", "ViolationRatio", "the largest load over the mean, without the 1", "1 more",
        "dashboards that show the ratio under the name of the violation"),
    ROW("layer.load", "ViolationServed", "the mean load of the experts that have tokens", "0 for a full collapse",
        "a mean over what a bincount returned; the sibling of NVIDIA-NeMo/Automodel#532"),
    ROW("layer.collapse", "CollapseSwapped", "the two covariances exchanged: Tr(Sb Sw^-1)", "large where RC is small",
        "two orders of the same two letters"),
    ROW("layer.collapse", "CollapseProduct", "no inverse: Tr(Sw Sb)", "grows with both, and with the scale of x",
        "a pseudo-inverse read as a transpose"),
    ROW("layer.collapse", "CollapseTraces", "the quotient of the traces", "blind to directions",
        "a cheaper measure under the same name"),
    ROW("layer.collapse", "CollapseInverse", "the inverse of Sb + I/2^20 for the pseudo-inverse",
        "a million times the scatter outside the span of the means", "a ridge added to make a matrix invertible"),
    ROW("layer.collapse", "CollapseUncentred", "Sb from means that are not centred",
        "changes when all tokens are moved", "moments in the place of covariances"),
    ROW("layer.collapse", "CollapseUnweighted", "every expert with the same weight in Sb",
        "small experts count like large ones", "1/N in the place of n_i/T"),
    ROW("layer.collapse", "CollapseDivisors", "the divisors T - n' and n' - 1 of an analysis of variance",
        "a factor (n' - 1)/(T - n')", "Cv2Variance's sibling"),
    ROW("layer.fluctuation", "FluctuationStayed", "the share of tokens that stayed", "1 less the rate",
        "a comparison turned round"),
    ROW("layer.fluctuation", "FluctuationCount", "the number of tokens, not their share", "T times the value",
        "a missing division"),
    ROW("layer.fluctuation", "ChangeOfLoads", "the change of the loads", "blind to tokens that trade places",
        "routings compared by their histograms"),
    ROW("layer.change", "ChangeOfOrder", "rows compared place by place", "a mere change of order counts",
        "sorted top-k against unsorted top-k"),
    ROW("layer.change", "ChangePerExpert", "the share of exchanged experts, 1 - |A & B| / K", "1/2 for 2/3 or for 1",
        "another measure under the same name"),
    ROW("layer.change", "ChangeFirst", "first choices alone compared", "the other K-1 choices are not seen",
        "L.10 applied to K > 1"),
    ROW("layer.change", "ChangeSet", "the share of tokens whose sets differ where the Jaccard distance is meant",
        "an upper bound of it", "two measures of one name"),
    ROW("layer.change", "ChangeJaccard", "the Jaccard distance where the share of tokens is meant",
        "a lower bound of it", "two measures of one name"),

    BALANCE("balance.switch"),
    SWITCH_GROUPS("balance.switch"),
    HALF_GRADIENT("balance.switch"),
    ZLOSS("balance.zloss"),
    HALF_GRADIENT("balance.zloss"),
    CV("balance.importance"),
    CV("balance.load"),
    LOAD("balance.load"),
    ROW("balance.gshard", "GShardScale", "N^2 times the value, or without it", "the coefficient changes its meaning",
        "the paper's form against most code"),
    ROW("balance.gshard", "GShardCountAll", "both choices of each token counted", "2 at balance where 1 is meant",
        FIRST_CODE " (its GShard gate)"),
    CAPACITY_SIDE("balance.gshard"),
    ANOTHER_SOFTMAX("balance.gshard"),
    SELECTED_ONLY("balance.gshard"),
    NO_GRADIENT("balance.gshard"),
    HALF_GRADIENT("balance.gshard"),
    XMOE_BALANCE("balance.xmoe"),
    ANOTHER_SOFTMAX("balance.xmoe"),
    SELECTED_ONLY("balance.xmoe"),
    NO_GRADIENT("balance.xmoe"),
    HALF_GRADIENT("balance.xmoe"),
    STABLE_BALANCE("balance.stable"),
    NO_GRADIENT("balance.stable"),
    HALF_GRADIENT("balance.stable"),
    ENTROPY_BALANCE("balance.entropy"),
    HALF_GRADIENT("balance.entropy"),
    DEEPSEEK_BALANCE("balance.deepseek"),
    HALVES("balance.deepseek"),
    NO_GRADIENT("balance.deepseek"),
    HALF_GRADIENT("balance.deepseek"),
    BIAS_UPDATE("balance.deepseek.bias"),
    ANOTHER_SOFTMAX("balance.global"),
    DIVISORS("balance.global"),
    SELECTED_ONLY("balance.global"),
    NO_GRADIENT("balance.global"),
    GLOBAL_BALANCE("balance.global"),
    HALF_GRADIENT("balance.global"),

    RESPONSE("compete.response"),
    OLD_SCORES("compete.response"),
    RESPONSE("compete.route"),
    OLD_SCORES("compete.route"),
    SOFTMAX_SCORES("compete.route"),
    OLD_WEIGHTS("compete.route"),
    SWAPPED("compete.route"),
    COMBINE("compete.route"),
    DISTILL("compete.distill"),
    DISTILL_1("compete.distill"),
    ROW("compete.distill", "DistillBoth", "both terms where one alone is meant", "another equation's value",
        SECOND_CODE " (hybrid=True)"),
    ROW("compete.distill", "KlDirection", "the other direction of the divergence",
        "p ln(p/q) for q ln(q/p), or the converse",
        FIRST_CODE " (torchmetrics' order of arguments against PyTorch's kl_div)"),
    ROW("compete.distill", "MseForKl", "the mean squared error where a divergence is meant", "another distance",
        FIRST_CODE " (its default against its option)"),
    ROW("compete.distill", "DistillBatchSum", "the divergence summed over tokens, not averaged", "T times the value",
        "reduction=sum for batchmean"),
    ROW("compete.distill", "KlFloor", "1e-10 in the place of the clamp 1e-6",
        "ln 1e4 more for each loser's probability", "the epsilon of another library"),
    ROW("compete.distill", "KlClamp", "the gradient passed through the clamp", "targets below it are trained",
        "a clamp applied to the value alone"),
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
    STEP("compete.layer"),

    BALANCE("compete.balance"),
    ROW("compete.balance", "LblWholeBatch", "one loss of the whole batch where the mean over sequences is meant",
        "opposite collapses of two sequences cancel", "the converse of " SECOND_CODE),
    HALF_GRADIENT("compete.balance"),
    RESPONSE("compete.mix"),
    OLD_SCORES("compete.mix"),
    MIX("compete.mix"),
    ROW("compete.lambda", "LambdaNoOne", "sqrt(t) for sqrt(t + 1)", "1 at t = 0, one step ahead everywhere",
        "steps counted from 1 and from 0"),
    ROW("compete.lambda", "LambdaLinear", "no root: 2/(2 + t + 1)", "a decay like 1/t",
        "a slip of rewritten schedules"),
    ROW("compete.lambda", "CoinReversed", "a competition where u > 1 - lambda", "as probable, in other steps",
        FIRST_CODE " (its fixed frequency)"),
    ROW("compete.schedule", "ScheduleCollision", "a head counted on a slot that this layer has moved into already",
        "counted twice, and one competition is lost", SECOND_CODE),
    ROW("compete.schedule", "ScheduleMended",
        "a head whose slot this layer has taken moved on, where the published table is meant", "one competition more",
        "the mended form against " SECOND_CODE),
    ROW("compete.schedule", "ScheduleLater", "the nearest later slot taken before the nearest earlier one",
        "competitions move away from the warm-up", "a slip between the two searches"),
    ROW("compete.schedule", "ScheduleNoMove", "heads of full slots lost instead of moved", "fewer competitions",
        "late layers starve in " SECOND_CODE " when layers x rate exceeds the cap"),
    ROW("compete.schedule", "ScheduleNoCap", "no cap", "more layers compete in a step than memory allows",
        "a cap that is never applied"),
    ROW("compete.schedule", "ScheduleWarmUp", "competition during warm-up", "untrained experts compete",
        SECOND_CODE " (warm_up 0 in its language-model sweep)"),
    ROW("compete.schedule", "ScheduleEdge", "a coin equal to the rate taken for a head",
        "differs where coins are coarse", "u <= rate"),

    BALANCE("compete.step"),
    ZLOSS("compete.step"),
    ORDERS("compete.step"),
    SWAPPED("compete.step"),
    COMBINE("compete.step"),
    MISALIGNED("compete.step"),
    BIAS("compete.step", "the experts' b2"),
    GELU_TANH("compete.step"),
    RESPONSE("compete.step"),
    OLD_SCORES("compete.step"),
    SOFTMAX_SCORES("compete.step"),
    OLD_WEIGHTS("compete.step"),
    DISTILL("compete.step"),
    DISTILL_1("compete.step"),
    DIVERSITY("compete.step"),
    MIX("compete.step"),
    STEP("compete.step"),
    ROW("compete.step", "TaskSum", "the task's squares summed, not averaged", "T d times the task loss",
        "reduction=sum"),
    ROW("compete.step", "TaskOverTokens", "the task's squares averaged over tokens, summed over the width",
        "d times the task loss", "two readings of a mean squared error"),
    ROW("compete.step", "TaskDetached", "no gradient through the task loss", "the total trains the regularisers alone",
        "an output detached for logging"),
    ROW("compete.step", "RouterTermsToo", "the z-loss of the router's step in a competition as well",
        "one term too many", "the same regularisers in every step, against " SECOND_CODE),
    HALF_GRADIENT("compete.step"),

    /* --- similarity --- */

    KERNELS("similarity.kernel"),
    ROW("similarity.kernel", "Uncentred", "the kernel not centred", "offsets of the features count",
        "a slip of rewritten code"),
    ROW("similarity.kernel", "OneSideCentred", "H K for H K H", "rows keep their means", "a slip of rewritten code"),
    ROW("similarity.kernel", "CentredKernel", "the kernel centred where it is meant as it is", "offsets are lost",
        "a slip of rewritten code"),
    ROW("similarity.kernel", "OneSideDetached", "a gradient through the first argument of <x_i, x_j> alone",
        "half the gradient where the cotangent is symmetric", "a slip of rewritten kernels"),
    HALF_GRADIENT("similarity.kernel"),

    KERNELS("similarity.hsic"),
    ESTIMATOR("similarity.hsic"),
    BIASED("similarity.hsic"),
    ROW("similarity.hsic", "HsicDivisor/n-1", "(n-1)^2 as divisor", "another equation's value",
        "Gretton et al. 2005 against code that divides otherwise"),
    ROW("similarity.hsic", "HsicDivisor/n", "n^2 as divisor", "another equation's value",
        "V-statistics against Gretton et al. 2005"),
    ROW("similarity.hsic", "HsicDivisor/none", "no divisor", "grows with n^2", SIMSMOE_CODE),
    ROW("similarity.hsic", "HsicDivisor/unbiased", "n (n-1) for n (n-3) in HSIC_1",
        "too small, and most where n is small", "a slip between the two estimators"),
    ROW("similarity.hsic", "NegativeHsicRoot", "a negative HSIC_1 clamped at 0", "biased again, and no gradient",
        ANTIXK),
    HALF_GRADIENT("similarity.hsic"),

    KERNELS("similarity.cka"),
    ESTIMATOR("similarity.cka"),
    BIASED("similarity.cka"),
    RATIO("similarity.cka"),
    ROW("similarity.cka", "SmallNNaN", "0 for samples of less than four, where HSIC_1 divides by 0",
        "a NaN that was replaced, or that compared false: few tokens look dissimilar",
        SIMSMOE_CODE ", " ANTIXK "#2, " ANTIXK "#4, " ANTIXK "#10"),
    HALF_GRADIENT("similarity.cka"),

    KERNELS("similarity.minibatch"),
    ESTIMATOR("similarity.minibatch"),
    RATIO("similarity.minibatch"),
    ROW("similarity.minibatch", "MinibatchMeanOfRatios", "the mean of each batch's CKA", "biased by every small batch",
        "a loss averaged over steps"),
    ROW("similarity.minibatch", "MinibatchWhole", "one batch of all samples", "equal in expectation, not in value",
        "full-batch code against Nguyen et al. 2021"),
    ROW("similarity.minibatch", "MinibatchStrided", "every k-th row in a batch", "other samples together",
        "a view in the wrong order of dimensions"),
    HALF_GRADIENT("similarity.minibatch"),

    ROW("similarity.cosine", "CosineSum", "a sum over samples", "n times the value", "reduction=sum"),
    ROW("similarity.cosine", "CosineSign", "the magnitude where the sign counts, or the converse",
        "opposite features count as alike", "the two losses of " SIMSMOE_CODE " (cosine, |cosine|)"),
    ROW("similarity.cosine", "CosineOfMean", "the magnitude of the mean", "signs cancel before they are dropped",
        "an abs() in the wrong place"),
    ROW("similarity.cosine", "CosineUnnormalised", "inner products", "grows with the features",
        "a slip of rewritten code"),
    ROW("similarity.cosine", "CosineFlattened", "one cosine of all samples in a row", "long rows count more",
        "flatten() before the norm"),
    ROW("similarity.cosine", "Centred", "features less their means", "a correlation", "the habit of CKA"),
    ROW("similarity.cosine", "CosineZeroRows", "rows of zeros left out of the mean", "a larger value",
        "a mask in the denominator"),
    ROW("similarity.cosine", "OneSideDetached", "no gradient to y", "one of the two is trained",
        "a stop-gradient taken from contrastive losses"),
    HALF_GRADIENT("similarity.cosine"),

    /* --- simsmoe --- */

    HEAD("simsmoe.head"),
    ROW("simsmoe.head", "ExpertsDetached", "no gradient to the experts' outputs", "the head alone is trained",
        "outputs detached with the tokens"),
    ROW("simsmoe.head", "ReluKink", "slope 1 of the ReLU at 0", "dead units that start at 0 are trained",
        "x >= 0 for x > 0"),
    HALF_GRADIENT("simsmoe.head"),

    PAIRS("simsmoe.pairs"),
    COUNTERS("simsmoe.pairs"),

    HEAD("simsmoe.loss"),
    PAIRS("simsmoe.loss"),
    COMPARED("simsmoe.loss"),
    CKA_INSIDE("simsmoe.loss"),
    ROW("simsmoe.loss", "MedianRule/with", "a median with the diagonal's zeros", "a smaller bandwidth", MEDIANS_MET),
    ROW("simsmoe.loss", "MedianRule/without", "a median without the diagonal", "a larger bandwidth", MEDIANS_MET),
    ROW("simsmoe.loss", "MedianRule/mean", "the mean of the middle two distances", "a larger bandwidth", MEDIANS_MET),
    ROW("simsmoe.loss", "MedianRule/lower", "the lower of the middle two distances", "a smaller bandwidth",
        MEDIANS_MET " (torch.median)"),
    ROW("simsmoe.loss", "BandwidthDetached", "a bandwidth that is a constant of the gradient",
        "a part of the gradient missing", "a median under no_grad"),
    ROW("simsmoe.loss", "BandwidthTrained", "a gradient through the bandwidth",
        "two tokens get a part of the gradient of all", SIMSMOE_CODE " (sigma=None)"),
    MISALIGNED("simsmoe.loss"),
    BIAS("simsmoe.loss", "the experts' b2"),
    GELU_TANH("simsmoe.loss"),
    HALF_GRADIENT("simsmoe.loss"),

    LAYER("simsmoe.layer"),

    LAYER("simsmoe.step"),
    TASK("simsmoe.step"),

    /* --- convergence --- */
    MIXTURE("convergence.density"),
    MIXTURE("convergence.density.hidden"),
    MIXTURE("convergence.loglik"),
    MIXTURE("convergence.loglik.hidden"),
    ROW("convergence.loglik", "LoglikSum", "the sum of the log densities, not their mean",
        "n times the value", "a likelihood by its textbook name"),
    ROW("convergence.loglik.hidden", "LoglikSum", "the sum of the log densities, not their mean",
        "n times the value", "a likelihood by its textbook name"),
    HALF_GRADIENT("convergence.density"),
    HALF_GRADIENT("convergence.density.hidden"),
    HALF_GRADIENT("convergence.loglik"),
    HALF_GRADIENT("convergence.loglik.hidden"),
    ROW("convergence.hvp", "HvpNoSecond", "without the second derivative of the score",
        "right under a norm gate", "a response taken for piecewise linear"),
    ROW("convergence.hvp", "HvpGaussNewton", "without the derivative of the responsibilities",
        "Gauss-Newton: another matrix", "curvature by squares of first derivatives"),
    ROW("convergence.hvp", "TopKAfterFree", "atoms chosen by their scores with the free weights added",
        "another choice", "selection on biased scores, as in bias-balanced routers"),
    ROW("convergence.hvp", "FreeWeightDropped", "free weights left out, or put in where there are none",
        "another gate", "spec T.15"),
    ROW("convergence.sample", "SampleNuIsSigma", "nu z in the place of sqrt(nu) z",
        "noise of another size", "a variance taken for a deviation"),
    ROW("convergence.sample", "FreeWeightDropped", "free weights left out, or put in where there are none",
        "another gate", "spec T.15"),
    ROW("convergence.distance", "TvNoHalf", "int |p - q| without the half", "twice the value, up to 2",
        "the L1 distance taken for total variation"),
    ROW("convergence.distance", "HellingerSquared", "the mean of h^2, no root taken", "a slope twice as steep",
        "h^2 taken for h"),
    ROW("convergence.distance", "HellingerMeanOfRoots", "the mean of h in place of the root of the mean of h^2",
        "a smaller value where x matters", "h averaged as V is"),
    ROW("convergence.distance", "FreeWeightDropped", "free weights left out, or put in where there are none",
        "another gate", "spec T.15"),
    ROW("convergence.voronoi", "VoronoiUnweighted", "distances without the weights of the atoms",
        "the loss of another measure", "sums over atoms in place of the measure"),
    ROW("convergence.voronoi", "VoronoiNoPowers", "distances without powers in cells of several atoms",
        "falls too slowly when over-specified", "D1 where D2 is meant"),
    ROW("convergence.voronoi", "LastAtomZero", "weights relative to the last atom's", "depends on the atoms' order",
        "the normal form of the papers' proofs"),
    ROW("convergence.em", "EmUnbiasedVariance", "squares of residuals over sum q - (d + 1)",
        "no maximum of the likelihood, and below 0 for a small share", "an unbiased estimate for the likelihood's"),
    ROW("convergence.em", "ResponsibilityNoGate", "responsibilities without the gate's weights",
        "equal weights assumed", "a mixture taken for one with equal weights"),
    ROW("convergence.em", "EmIgnoresGate", "the experts' step by weighted least squares alone",
        "the likelihood may fall", "EM of a softmax gate used for a competition"),
    ROW("convergence.em", "FreeWeightDropped", "free weights left out, or put in where there are none",
        "another gate", "spec T.15"),
    ROW("convergence.oracle", "OracleUnbiased", "squares of residuals over their degrees of freedom",
        "n/(n - d - 1) times the variance", "an unbiased estimate for the likelihood's"),

    {NULL, NULL, NULL, NULL, NULL},
};
