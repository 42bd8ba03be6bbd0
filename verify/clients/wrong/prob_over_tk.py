"""LblProbOverTK: P divided by T K instead of T, so that the loss is 1/K of the value."""
from right import client, main


def balance(logits, index, count):
    k = index.shape[-1]
    fraction = client.expert_fraction(index, logits.shape[-1], count, logits.dtype)
    return client.switch_loss(fraction, client.mean_probability(logits) / k)     # right: not divided


client.balance = balance
main()
