"""LblDoubleSoftmax: the balancing loss takes probabilities for logits and applies softmax once more."""
from right import client, main


def mean_probability(logits):
    return client.mean_tokens(client.softmax(client.softmax(logits)))       # right: softmax(logits)


client.mean_probability = mean_probability
main()
