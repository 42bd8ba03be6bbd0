"""DoubleSoftmaxWeights: softmax over the selected *probabilities*, which confines two weights to [0.269, 0.731]."""
from right import main, numerics, spoil


def gate_weights(r, k, order):
    index = numerics.topk(r, k)
    selected = numerics.take(numerics.softmax(r), index)
    return index, numerics.softmax(selected)                                # right: softmax(take(r, index))


spoil(gate_weights)
main()
