"""DoubleSoftmaxWeights: softmax over the selected *probabilities*, which confines two weights to [0.269, 0.731]."""
from right import client, main


def gate_weights(r, k, order):
    index = client.topk(r, k)
    return index, client.softmax(client.take(client.softmax(r), index))     # right: softmax(take(r, index))


client.gate_weights = gate_weights
main()
