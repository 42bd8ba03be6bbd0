"""LblProbOverTK: P divided by T K instead of T, so that the loss is 1/K of the value."""
from right import balance, main, spoil

right_parts = balance.fraction_and_probability


def fraction_and_probability(logits, index, count):
    fraction, probability = right_parts(logits, index, count)
    return fraction, probability / index.shape[-1]                          # right: probability


spoil(fraction_and_probability)
main()
