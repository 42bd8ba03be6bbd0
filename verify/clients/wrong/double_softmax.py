"""LblDoubleSoftmax: the balancing loss takes probabilities for logits and applies softmax once more."""
from right import main, numerics, spoil


def mean_probability(logits):
    return numerics.mean_tokens(numerics.softmax(numerics.softmax(logits)))     # right: softmax(logits)


spoil(mean_probability)
main()
