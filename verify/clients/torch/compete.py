"""Competition: responses, routing, losses, schedule, layer and training step (C.1 to C.15)."""
import torch

from balance import balance, switch, zloss
from expert import activation, linear
from layer import combine, experts_on_all, smoe
from numerics import matmul, mean_last, norm, normalise, relu, sigmoid, silu, softmax, softplus, take, topk, \
    unit, weighted_sum, wide


# --- who wins (C.1 to C.3) ------------------------------------------------------------------------------------------

def response(o, kind="softplus"):
    """(C.1): how strongly each expert responds, o [T,N,d] -> s [T,N]."""
    if kind == "norm":                                              # (C.1a)
        return norm(o)
    return mean_last({"softplus": softplus, "relu": relu, "sigmoid": sigmoid, "silu": silu}[kind](o))


def winners(s, k, version="2"):
    """(C.2): the K experts with the largest response, and their weights."""
    index = topk(s, k)
    best = take(s, index)
    return index, (normalise(best) if version == "2" else softmax(best))


def outputs_of(o, index):
    """The winners' outputs: o [T,N,d] at index [T,K] -> [T,K,d]."""
    return o[torch.arange(o.shape[0]).unsqueeze(-1), index]


def route(o, k, version):
    s = response(o, "softplus" if version == "2" else "norm")
    index, weight = winners(s, k, version)
    y = combine(weight, outputs_of(o, index))                       # (C.3)
    return {"y": y, "s": s, "index": index, "weight": weight}


# --- what the router learns from it (C.4, C.5, C.9) -----------------------------------------------------------------

def target(s, detach):
    """(C.4): what the router should have said, softmax(s) over all experts; a constant if detached."""
    q = softmax(s)
    return q.detach() if detach else q


@wide
def mean_square(x):
    return (x * x).mean()


@wide
def two_terms(a, theta, b):
    return a + theta * b


@wide
def scaled(a, theta):
    return theta * a


def distill(r, s, index, theta, detach, terms="both"):
    """(C.5): mean of (p - q)^2 over all experts, and theta times its mean over the winners [T,K]."""
    difference = softmax(r) - target(s, detach)
    if terms == "all":
        return mean_square(difference)
    won = mean_square(take(difference, index))
    return scaled(won, theta) if terms == "winners" else two_terms(mean_square(difference), theta, won)


def winners_target(s, index, detach):
    """(C.9): softmax over the winners' responses [T,K], in the order of index."""
    q = softmax(take(s, index))
    return q.detach() if detach else q


@wide
def divergence(a, b):
    """sum a ln(a/b), divided by the number of rows; 0 ln 0 = 0."""
    a_, b_ = torch.where(a > 0, a, torch.ones_like(a)), torch.where(a > 0, b, torch.ones_like(b))
    return (a * torch.log(a_ / b_)).sum() / len(a)


def distill_first(r, s, index, detach, loss):
    """(C.9): the first version's router loss, against the winners' softmax q, which is 0 elsewhere."""
    p, q = softmax(r), winners_target(s, index, detach)
    everywhere = torch.zeros_like(p).scatter(-1, index, q)
    if loss == "mse":
        return mean_square(p - everywhere)
    if loss == "kl":
        return divergence(q, take(p, index))
    return divergence(p, everywhere.clamp(min=1e-6))


def distillation(r, s, k, version, theta, detach, loss, terms):
    index = topk(s, k)
    if version == "2":
        value = distill(r, s, index, theta, detach == "yes", terms)
    else:
        value = distill_first(r, s, index, detach == "yes", loss)
    return {"loss": value, "index": index}


# --- losses on the winners (C.6, C.7, C.10) -------------------------------------------------------------------------

def pairs(k, kind):
    """How many ordered pairs the mean of (C.6) is taken over."""
    return k * (k - 1) if kind == "pairs" else k * k


@wide
def off_diagonal_sum(gram, divisor):                                # [T,K,K] -> []
    k = gram.shape[-1]
    return (gram * (1 - torch.eye(k, dtype=gram.dtype))).sum() / divisor


def diversity(o, kind):
    """(C.6): the mean cosine between the outputs o [T,K,d] of different winners."""
    t, k = o.shape[:2]
    if k == 1:
        return o.new_zeros(())
    u = unit(o)
    return off_diagonal_sum(matmul(u, u.transpose(1, 2)), t * pairs(k, kind))


def balanced(s, k, count, divide, scope, sequence):
    """(C.7), (C.10): the balancing loss of chapter 4 on the responses."""
    out = switch(s, None, k, count, divide, scope, sequence, "mean", 0)
    return {"loss": out["loss"], "index": out["index"]}


# --- the layer (C.8) ------------------------------------------------------------------------------------------------

def layer(x, wr, br, w1, b1, w2, b2, p):
    """(C.8)"""
    act = activation(p["activation"])
    if p["compete"] == "no":
        out = smoe(x, wr, br, w1, b1, w2, b2, p["k"], p["order"], act)
        r, zero = out["r"], x.new_zeros(())
        out.update(balance=balance(r, out["index"], p["count"]), zloss=zloss(r),
                   distill=zero, diversity=zero, s=torch.zeros_like(r))
        out["loss"] = weighted_sum(torch.stack([out["balance"], out["zloss"]]), [p["c_balance"], p["c_zloss"]])
        return out
    r = linear(x, wr, br)
    o = experts_on_all(x, w1, b1, w2, b2, act)
    out = route(o, p["k"], "2")
    s, index = out["s"], out["index"]
    out.update(r=r, zloss=x.new_zeros(()),
               distill=distill(r, s, index, p["theta"], p["detach"] == "yes"),
               diversity=diversity(outputs_of(o, index), p["mean"]),
               balance=balance(s, index, p["count"]))               # (C.7): (B.4) on the responses
    out["loss"] = weighted_sum(torch.stack([out["distill"], out["diversity"], out["balance"]]),
                               [p["c_distill"], p["c_diversity"], p["c_balance"]])
    return out


# --- the first code's mixture, and when to compete (C.11 to C.13) ---------------------------------------------------

@wide
def between(s, r, share):                                           # (1 - share) s + share r
    return (1 - share) * s + share * r


def mix(o, r, kind, share):
    """(C.11): the response and the router's logits mixed."""
    return between(response(o, kind), r, share)


@wide
def chance(t):
    """(C.12): 2 / (2 + sqrt(t + 1))."""
    return 2 / (2 + torch.sqrt(t + 1))


def coin(t, u):
    """(C.12): compete where the coin u is below it."""
    value = chance(t)
    return {"lambda": value, "compete": (u < value).long()}


def free_slot(taken, load, cap, at):
    """(C.13): the nearest slot with room, earlier ones first; None if there is none."""
    for j in [*range(at - 1, -1, -1), *range(at + 1, len(load))]:
        if load[j] < cap and not taken[j]:
            return j
    return None


def schedule_layer(heads, load, cap, mended):
    """(C.13): the slots at which one layer competes, given its coins.  load goes on counting."""
    taken, lost = [False] * len(load), 0
    for at, head in enumerate(heads):
        if not head:
            continue
        slot = at
        if load[at] >= cap or (mended and taken[at]):
            slot = free_slot(taken, load, cap, at)
        if slot is None:
            lost += 1
            continue
        lost += taken[slot]                                         # as published: counted twice, one head is lost
        taken[slot] = True
        load[slot] += 1
    return taken, lost


def schedule(u, rate, cap, warm_up, collision):
    """(C.13): which layer competes at which step: u [L,S] coins, at most `cap` layers a step, none in the warm-up."""
    layers, steps = u.shape
    first = int(warm_up * steps)
    load, rows, lost = [0] * (steps - first), [], []
    for coins in u.tolist():
        taken, missed = schedule_layer([c < rate for c in coins[first:]], load, cap, collision == "mended")
        rows.append([0] * first + [int(t) for t in taken])
        lost.append(missed)
    return {"compete": torch.tensor(rows, dtype=torch.int64).reshape(layers, steps),
            "load": torch.tensor([0] * first + load, dtype=torch.int64), "lost": torch.tensor(lost, dtype=torch.int64)}


# --- one training step (C.14) ---------------------------------------------------------------------------------------

DEFAULT_OF = {"2": {"response": "softplus", "weights": "ratio"}, "1": {"response": "norm", "weights": "softmax"}}


def chosen(p, name):
    return DEFAULT_OF[p["version"]][name] if p[name] == "default" else p[name]


def weigh(best, kind):
    """(C.14): the winners' weights from their scores [T,K]."""
    if kind == "softmax":
        return softmax(best)
    return normalise(sigmoid(best) if kind == "sigmoid-ratio" else best)


@wide
def task_loss(y, target):
    return ((y - target) ** 2).mean()


def competition_step(x, r, o, p):
    """(C.14), with competition: routed by the responses; terms of the loss by name."""
    s = response(o, chosen(p, "response"))
    if p["mix"] != 0:
        s = between(s, r, p["mix"])
    index = topk(s, p["k"])
    weight = weigh(take(s, index), chosen(p, "weights"))
    won = outputs_of(o, index)
    out = {"y": combine(weight, won), "s": s, "index": index, "weight": weight, "r": r,
           "balance": balance(s, index, p["count"]), "zloss": x.new_zeros(())}
    if p["version"] == "2":
        return {**out, "distill": distill(r, s, index, p["theta"], p["detach"] == "yes"),
                "diversity": diversity(won, p["mean"])}
    return {**out, "distill": distill_first(r, s, index, p["detach"] == "yes", "mse"), "diversity": x.new_zeros(())}


def router_step(x, wr, br, w1, b1, w2, b2, p):
    """(C.14), without: the SMoE layer, balanced."""
    out = smoe(x, wr, br, w1, b1, w2, b2, p["k"], p["order"], activation(p["activation"]))
    zero = x.new_zeros(())
    return {**out, "s": torch.zeros_like(out["r"]), "distill": zero, "diversity": zero,
            "balance": balance(out["r"], out["index"], p["count"]),
            "zloss": zloss(out["r"]) if p["version"] == "2" else zero}


def step(x, wr, br, w1, b1, w2, b2, target, p):
    """(C.14)"""
    if p["compete"] == "yes":
        o = experts_on_all(x, w1, b1, w2, b2, activation(p["activation"]))
        out = competition_step(x, linear(x, wr, br), o, p)
        terms = ["task", "distill", "diversity", "balance"]
    else:
        out = router_step(x, wr, br, w1, b1, w2, b2, p)
        terms = ["task", "balance", "zloss"] if p["version"] == "2" else ["task", "balance"]
    out["task"] = task_loss(out["y"], target)
    out["loss"] = weighted_sum(torch.stack([out[t] for t in terms]), [p["c_" + t] for t in terms])
    return out
