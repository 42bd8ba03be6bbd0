"""The SMoE layer, capacity, shared experts, and what is measured on a layer (L.1 to L.11)."""
import math

import torch

from expert import expert, linear
from gate import gate_weights
from numerics import one_hot, places, topk, wide


def experts_on_selected(x, index, w1, b1, w2, b2, act):
    """(L.1), (L.2): the output of expert index[t,j] on token t -> [T,K,d].  Each expert sees its own tokens only."""
    o = x.new_zeros(*index.shape, x.shape[-1])
    for i in range(w1.shape[0]):
        t, j = torch.where(index == i)
        if len(t):
            o = o.index_put((t, j), expert(x[t], w1[i], b1[i], w2[i], b2[i], act))
    return o


def experts_on_all(x, w1, b1, w2, b2, act):
    """The output of every expert on every token -> [T,N,d]."""
    return torch.stack([expert(x, *w, act) for w in zip(w1, b1, w2, b2)], dim=1)


@wide
def combine(weight, o):
    """(L.3): weight [T,K], o [T,K,d] -> y [T,d]."""
    return (weight.unsqueeze(-1) * o).sum(1)


def smoe(x, wr, br, w1, b1, w2, b2, k, order, act):
    r = linear(x, wr, br)                                           # (G.1)
    index, weight = gate_weights(r, k, order)
    y = combine(weight, experts_on_selected(x, index, w1, b1, w2, b2, act))
    return {"y": y, "index": index, "weight": weight, "r": r}


# --- capacity (L.4 to L.6) ------------------------------------------------------------------------------------------

def in_queue(a, priority):
    """a [T,K] as the queue [T K] in which choices are served: all first ones before all second ones, or by tokens."""
    return (a.t() if priority == "choice" else a).reshape(-1)


def out_of_queue(a, k, priority):
    """The converse."""
    return a.reshape(k, -1).t() if priority == "choice" else a.reshape(-1, k)


def strongest(queue, weight, n, capacity):
    """Of the entries of each expert in a queue [A] those with the largest weights, and the earlier one among equals."""
    kept = torch.zeros_like(queue, dtype=torch.bool)
    for i in range(n):
        mine = torch.where(queue == i)[0]
        kept[mine[topk(weight[mine], capacity)]] = True
    return kept


def capacity(r, k, order, factor, minimum, rounding, policy, priority):
    """(L.4): an expert keeps at most C choices; the others get weight 0."""
    n = r.shape[-1]
    index, weight = gate_weights(r, k, order)
    places_each = factor * index.numel() / n
    c = max(minimum, math.ceil(places_each) if rounding == "ceil" else math.floor(places_each))
    queue = in_queue(index, priority)
    if policy == "position":
        kept = places(queue, n) < c
    else:
        kept = strongest(queue, in_queue(weight.detach(), priority), n, c)
    slot = out_of_queue(places(torch.where(kept, queue, torch.full_like(queue, -1)), n), k, priority)
    kept = out_of_queue(kept, k, priority)
    load = (one_hot(index, n) * kept.unsqueeze(-1)).sum((0, 1))
    return {"index": index, "weight": torch.where(kept, weight, torch.zeros_like(weight)),
            "kept": kept.to(r.dtype), "slot": slot.to(r.dtype), "load": load.to(r.dtype)}


@wide
def rows_into(x, t, places_of, n, c):
    """Row x[t] into row places_of of n c rows of zeros -> [n,c,d]."""
    return x.new_zeros(n * c, x.shape[-1]).index_put((places_of,), x[t]).reshape(n, c, x.shape[-1])


def dispatch(x, index, experts, capacity, priority):
    """(L.5): each expert's buffer of `capacity` rows, filled in the order of the queue."""
    place = out_of_queue(places(in_queue(index, priority), experts), index.shape[-1], priority)
    slot = torch.where(place < capacity, place, torch.full_like(place, -1))
    t, j = torch.where(slot >= 0)
    return {"xe": rows_into(x, t, index[t, j] * capacity + slot[t, j], experts, capacity), "slot": slot}


@wide
def weighed_rows(o, weight, index, slot):
    """(L.6): sum_j weight_j o[index_j, slot_j] over the choices that have a slot."""
    rows = o[index, slot.clamp(min=0)]                              # [T,K,d]
    kept = (slot >= 0).unsqueeze(-1)
    return torch.where(kept, weight.unsqueeze(-1) * rows, torch.zeros_like(rows)).sum(1)


def combine_slots(o, weight, index, slot, x, overflow):
    """(L.6): and a token without any slot gets 0, or passes through."""
    if o.shape[1] == 0:                                             # no places at all
        y = torch.zeros_like(x)
    else:
        y = weighed_rows(o, weight, index, slot)
    if overflow == "zero":
        return y
    return torch.where((slot >= 0).any(-1, keepdim=True), y, x)


# --- shared experts (L.7) -------------------------------------------------------------------------------------------

@wide
def add_up(*terms):                                                 # left to right
    return sum(terms[1:], terms[0])


@wide
def halves(a, b):
    return 0.5 * a + 0.5 * b


def shared(x, wr, br, w1, b1, w2, b2, ws1, bs1, ws2, bs2, k, order, act, form):
    """(L.7): experts that every token sees beside the chosen ones."""
    out = smoe(x, wr, br, w1, b1, w2, b2, k, order, act)
    always = [expert(x, *w, act) for w in zip(ws1, bs1, ws2, bs2)]
    if form == "half":
        out["y"] = halves(add_up(*always), out["y"])
    else:
        out["y"] = add_up(*([x] if form == "residual" else []), *always, out["y"])
    return out


# --- what is measured (L.8 to L.11) ---------------------------------------------------------------------------------

def load(r, k):
    """(L.8): how many choices fell on each expert, their share, and how far the largest exceeds the mean."""
    index = topk(r, k)
    count = one_hot(index, r.shape[-1]).sum((0, 1))
    mean = index.numel() / r.shape[-1]
    return {"index": index, "load": count.to(r.dtype), "share": (count / index.numel()).to(r.dtype),
            "max_violation": ((count.max() - mean) / mean).to(r.dtype)}


@wide
def collapse(x, index, experts):
    """(L.9): Tr(Sw Sb^+), the covariance within experts measured by the one between them."""
    a = one_hot(index, experts).to(x.dtype)                         # [T,experts]
    count = a.sum(0)
    used = count > 0
    centre = (a.t() @ x)[used] / count[used].unsqueeze(-1)          # means of the experts that have tokens
    spread = (centre - x.mean(0)) * (count[used] / len(x)).sqrt().unsqueeze(-1)
    within = x - (a[:, used] @ centre)
    # Sb = spread' spread.  With spread = U S V', Tr(Sw Sb^+) is the sum over the non-zero S of |within V|^2 / (T S^2).
    _, size, v = torch.linalg.svd(spread, full_matrices=False)
    rank = len(centre) - 1                                          # the weighted deviations add up to 0
    return ((within @ v[:rank].t() / size[:rank]) ** 2).sum() / len(x)


def fluctuation(a, b):
    """(L.10): the share of the tokens whose expert is another one."""
    return (a != b).double().mean()


def change(a, b, measure):
    """(L.11): the share of the tokens whose set of experts is another one, or the mean Jaccard distance of the sets."""
    common = (a.unsqueeze(-1) == b.unsqueeze(-2)).double().sum((-1, -2))
    k = a.shape[-1]
    return ((common < k).double() if measure == "set" else 1 - common / (2 * k - common)).mean()
