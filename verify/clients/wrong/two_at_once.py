"""LblProbOverTK and LblGrad at once: P divided by T K, and no gradient through it."""
from right import balance, main, spoil

right_parts = balance.fraction_and_probability


def fraction_and_probability(logits, index, count):
    fraction, probability = right_parts(logits, index, count)
    return fraction, (probability / index.shape[-1]).detach()               # right: probability


spoil(fraction_and_probability)
main()
