"""TieOrder: among equal scores the higher index wins."""
from right import client, main, spoil


def topk(s, k):
    n = s.shape[-1]
    order = client.torch.sort(s.detach().flip(-1).double(), dim=-1, descending=True, stable=True)
    return n - 1 - order.indices[..., :k]                                   # right: the lower index wins


spoil(topk)
main()
