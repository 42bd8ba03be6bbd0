"""WeightsSoftmaxScores: the winners weighed as in the first version, by the softmax of their responses."""
from right import client, main


def winners(s, k, version="2"):
    index = client.topk(s, k)
    return index, client.softmax(client.take(s, index))                     # right: s_j / sum of the winners' s


client.winners = winners
main()
