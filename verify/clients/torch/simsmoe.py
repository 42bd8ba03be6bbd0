"""Chapter S, spec/07-simsmoe.md: SimSMoE, where experts that share tokens are kept apart (S.1 to S.7).

Letters: T tokens, N experts, K of them a token, n tokens of a pair of experts, d width, p width of a representation."""
import torch

from balance import balance
from compete import task_loss
from expert import activation, expert, linear
from layer import smoe
from numerics import one_hot, relu, total, weighted_sum, wide
from similarity import cka


# --- the projection head (S.1) --------------------------------------------------------------------------------------

def head(o, wh, bh, wp, bp, kind):
    """(S.1): outputs of an expert [n,d] -> its representation [n,p]."""
    return linear(relu(linear(o, wh, bh)) if kind == "mlp" else o, wp, bp)


# --- pairs and their counters (S.2, S.3) ----------------------------------------------------------------------------

def members(index, n):
    """index [T,K] -> which of n experts a token has, [T,n] of zeros and ones."""
    return one_hot(index, n).sum(1)


def shared_tokens(index, n):
    """(S.2): how many tokens the experts i < j share -> [n,n]."""
    has = members(index, n)
    return torch.triu(has.t() @ has, diagonal=1)


@wide
def counted(counter, shared, share):
    return torch.triu(counter + shared * share, diagonal=1)


def beyond(a, limit, compare):
    return a > limit if compare == "above" else a >= limit


def count_pairs(index, counter, p, compare):
    """(S.3): the tokens that pairs share, which pairs are due in this batch, and the counters after it."""
    shared = shared_tokens(index, len(counter))
    c = counted(counter, shared.to(counter.dtype), 1 / len(index) if p["unit"] == "fraction" else 1.0)
    due = torch.triu(beyond(c.double(), p["frequency"], compare), diagonal=1)
    if p["absent"] == "keep":
        due = due & (shared > 0)
    return {"shared": shared.long(), "selected": due.to(counter.dtype), "next": torch.where(due, torch.zeros_like(c), c)}


# --- the similarity loss (S.4, S.5) ---------------------------------------------------------------------------------

def representation(x, i, experts, heads, p):
    """(S.4): what expert i and the head, which all experts share, make of tokens x [n,d] -> [n,p]."""
    return head(expert(x, *(w[i] for w in experts), activation(p["activation"])), *heads, p["kind"])


def compare_pair(x, index, i, j, experts, heads, p):
    """(S.5): the CKA of two experts on the tokens that they share; None if there is none to speak of."""
    rows = torch.where((index == i).any(1) & (index == j).any(1))[0]
    if len(rows) < (2 if p["estimator"] == "biased" else 4):
        return None
    shared = x.detach()[rows] if p["detach_x"] == "yes" else x[rows]
    value = cka(representation(shared, i, experts, heads, p), representation(shared, j, experts, heads, p),
                {**p, "route": "gram"})
    return value if torch.isfinite(value) else None                 # an expert whose output does not vary


@wide
def divided(a, n):
    return a / n


def similarity(x, index, selected, experts, heads, p):
    """(S.5): the sum of the CKAs beyond the threshold, or their share of all selected pairs."""
    active = torch.zeros(selected.shape, dtype=x.dtype)
    values, terms = torch.zeros(selected.shape, dtype=x.dtype), []
    pairs = torch.triu(selected > 0, diagonal=1).nonzero().tolist()
    for i, j in pairs:
        value = compare_pair(x, index, i, j, experts, heads, p)
        if value is None:
            continue
        values[i, j] = value.detach()
        if beyond(value.item(), p["threshold"], p["compare"]):
            active[i, j] = 1
            terms.append(value)
    loss = total(torch.stack(terms)) if terms else x.new_zeros(())
    return {"loss": divided(loss, len(pairs)) if p["reduce"] == "mean" and terms else loss,
            "active": active, "cka": values}


# --- the layer and one training step (S.6, S.7) ---------------------------------------------------------------------

def layer(x, wr, br, w1, b1, w2, b2, wh, bh, wp, bp, counter, p):
    """(S.6)"""
    out = smoe(x, wr, br, w1, b1, w2, b2, p["k"], p["order"], activation(p["activation"]))
    out.update(count_pairs(out["index"], counter, p, p["due"]))
    alike = similarity(x, out["index"], out["selected"], (w1, b1, w2, b2), (wh, bh, wp, bp), p)
    out.update(balance=balance(out["r"], out["index"], "all"), similarity=alike["loss"], active=alike["active"],
               cka=alike["cka"])
    out["loss"] = weighted_sum(torch.stack([out["balance"], out["similarity"]]), [p["c_balance"], p["c_similarity"]])
    return out


def step(target, p, **inputs):
    """(S.7)"""
    out = layer(**inputs, p=p)
    out["task"] = task_loss(out["y"], target)
    names = ["task", "balance", "similarity"]
    out["loss"] = weighted_sum(torch.stack([out[name] for name in names]), [p["c_" + name] for name in names])
    return out


def loss(x, index, selected, w1, b1, w2, b2, wh, bh, wp, bp, p):
    return similarity(x, index, selected, (w1, b1, w2, b2), (wh, bh, wp, bp), p)


OPERATIONS = {
    "simsmoe.head": lambda i, p: {"z": head(**i, kind=p["kind"])},
    "simsmoe.pairs": lambda i, p: count_pairs(i["index"], i["counter"], p, p["compare"]),
    "simsmoe.loss": lambda i, p: loss(**i, p=p),
    "simsmoe.layer": lambda i, p: layer(**i, p=p),
    "simsmoe.step": lambda i, p: step(p=p, **i),
}
CONSTANTS = {  # operation -> the inputs that get no gradient
    "simsmoe.pairs": {"counter"},
    "simsmoe.layer": {"counter"},
    "simsmoe.step": {"counter", "target"},
}
