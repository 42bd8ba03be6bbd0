"""WeightsSoftmaxScores: the winners weighed as in the first version, by the softmax of their responses."""
from right import main, numerics, spoil


def winners(s, k, version="2"):
    index = numerics.topk(s, k)
    return index, numerics.softmax(numerics.take(s, index))                 # right: s_j / sum of the winners' s


spoil(winners)
main()
