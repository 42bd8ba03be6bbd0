"""smoeref in PyTorch: every operation, with gradients by autograd.  A sample to copy; see ../README.md.

Written from the equations of spec/, whose numbers are given at each function.  Letters: T tokens, N experts, K selected
experts of a token, d width, h hidden width; the shape of a tensor is in brackets.

Number formats: f64 and f32 use one format throughout.  bf16 and f16 mean what hardware means by them: every tensor is
*stored* in 16 bits, and the arithmetic inside an operation is float32 (see `wide`).
"""
import functools
import math
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import smoeref_warm  # noqa: E402

if __name__ == "__main__":
    smoeref_warm.client(__file__)  # with SMOEREF_WARM=1 PyTorch is imported once for many runs

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

import smoeref_io  # noqa: E402

torch.set_num_threads(1)  # the cases are small; threads would only make them slower

DTYPE = {"f64": torch.float64, "f32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


def wide(f):
    """f in float32 arithmetic when its tensors are stored in 16 bits; the result is rounded to their format again."""
    @functools.wraps(f)
    def g(first, *rest):
        if first.dtype not in (torch.bfloat16, torch.float16):
            return f(first, *rest)
        rest = [a.float() if torch.is_tensor(a) and a.is_floating_point() else a for a in rest]
        return f(first.float(), *rest).to(first.dtype)
    return g


# --- numerics (N.10 to N.25) ----------------------------------------------------------------------------------------

@wide
def matmul(a, b):
    return a @ b


@wide
def softmax(z):                                                     # (N.22) over the last dimension
    return torch.softmax(z, -1)


@wide
def logsumexp(z):                                                   # (N.23)
    return torch.logsumexp(z, -1)


@wide
def norm(x):                                                        # (N.24) over the last dimension; gradient 0 at x = 0
    return torch.linalg.vector_norm(x, dim=-1)


@wide
def softplus(x):                                                    # (N.16) ln(1 + e^x)
    # PyTorch replaces ln(1 + e^x) by x above a threshold.  Its default, 20, costs 2e-9; at 40 the difference is 4e-18.
    return F.softplus(x, threshold=40.0)


@wide
def normal_pdf(x):                                                  # (N.21)
    return torch.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


@wide
def mean(x):                                                        # over everything
    return x.mean()


@wide
def mean_last(x):                                                   # over the last dimension
    return x.mean(-1)


@wide
def mean_tokens(x):                                                 # [..., T, N] -> [..., N]
    return x.mean(-2)


@wide
def relu(x):
    return torch.relu(x)


@wide
def silu(x):                                                        # (N.17)
    return F.silu(x)


@wide
def gelu(x, approximate="none"):                                    # (N.18), (N.19)
    return F.gelu(x, approximate=approximate)


def topk(s, k):
    """(N.25) The K largest of each row [T,N] -> [T,K]: by value, and the lower index first among equals.

    torch.topk leaves ties open; a stable sort does not."""
    return torch.sort(s.detach().double(), dim=-1, descending=True, stable=True).indices[..., :k]


def take(s, index):
    """s [T,N] at index [T,K] -> [T,K]."""
    return torch.gather(s, -1, index)


# --- experts (E.1 to E.4) -------------------------------------------------------------------------------------------

@wide
def linear(x, w, b):                                                # x [T,d], w [n,d], b [n] -> [T,n]
    return F.linear(x, w, b)


def activation(name, approximate="none"):
    return relu if name == "relu" else lambda a: gelu(a, approximate)


def expert(x, w1, b1, w2, b2, act):
    """(E.1) to (E.3): W2 act(W1 x + b1) + b2."""
    return linear(act(linear(x, w1, b1)), w2, b2)


def expert_swiglu(x, w1, w3, w2):
    """(E.4): W2 (SiLU(W1 x) * (W3 x))."""
    return matmul(silu(matmul(x, w1.t())) * matmul(x, w3.t()), w2.t())


# --- gate (G.1 to G.4) ----------------------------------------------------------------------------------------------

@wide
def normalise(v):                                                   # [T,K] -> [T,K], rows that sum to 1
    return v / v.sum(-1, keepdim=True)


def gate_weights(r, k, order):
    """The K experts with the largest logits r [T,N], and their weights [T,K]."""
    index = topk(r, k)
    if order == "topk-softmax":                                     # (G.2) softmax over the selected logits
        return index, softmax(take(r, index))
    if order == "softmax-topk":                                     # (G.3) softmax over all, as it is
        return index, take(softmax(r), index)
    return index, normalise(take(softmax(r), index))                # (G.4) softmax over all, renormalised


# --- SMoE layer (L.1 to L.3) ----------------------------------------------------------------------------------------

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


def layer_smoe(x, wr, br, w1, b1, w2, b2, k, order, act):
    r = linear(x, wr, br)                                           # (G.1)
    index, weight = gate_weights(r, k, order)
    y = combine(weight, experts_on_selected(x, index, w1, b1, w2, b2, act))
    return {"y": y, "index": index, "weight": weight, "r": r}


# --- balance (B.1 to B.6) -------------------------------------------------------------------------------------------

def expert_fraction(index, n, count, dtype):
    """(B.1), (B.2): the share of the choices index [...,T,K] that fell on each of n experts -> [...,n].  A constant."""
    chosen = index if count == "all" else index[..., :1]
    return F.one_hot(chosen, n).to(torch.float64).mean((-3, -2)).to(dtype)


def mean_probability(logits):
    """(B.3): the mean over tokens of softmax(logits) [...,T,N] -> [...,N]."""
    return mean_tokens(softmax(logits))


@wide
def switch_loss(fraction, probability):
    """(B.4): N sum_i f_i P_i."""
    return fraction.shape[-1] * (fraction * probability).sum(-1)


def fraction_and_probability(logits, index, count):
    """f and P of logits [...,T,N] and choices [...,T,K]."""
    return expert_fraction(index, logits.shape[-1], count, logits.dtype), mean_probability(logits)


def balance(logits, index, count):
    """(B.4) of logits [...,T,N] and choices [...,T,K]."""
    return switch_loss(*fraction_and_probability(logits, index, count))


def balance_switch(r, k, count, scope, sequence):
    index = topk(r, k)
    loss = balance(r, index, count)
    if scope == "sequence":                                         # (B.5): the mean of the sequences' losses
        loss = mean(balance(r.reshape(-1, sequence, r.shape[-1]), index.reshape(-1, sequence, k), count))
    fraction, probability = fraction_and_probability(r, index, count)
    return {"loss": loss, "fraction": fraction, "probability": probability, "index": index}


def balance_zloss(r):
    """(B.6): the mean over tokens of logsumexp(r_t)^2."""
    return mean(logsumexp(r) ** 2)


# --- competition (C.1 to C.8) ---------------------------------------------------------------------------------------

def response(o, kind="softplus"):
    """(C.1): how strongly each expert responds, o [T,N,d] -> s [T,N]."""
    if kind == "norm":                                              # (C.1a)
        return norm(o)
    return mean_last({"softplus": softplus, "relu": relu, "sigmoid": wide(torch.sigmoid), "silu": silu}[kind](o))


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


def distill(r, s, index, theta, detach):
    """(C.5): mean of (p - q)^2 over all experts, and theta times its mean over the winners [T,K]."""
    difference = softmax(r) - target(s, detach)
    return two_terms(mean_square(difference), theta, mean_square(take(difference, index)))


@wide
def unit(o):
    """o / |o| over the last dimension; a zero row stays zero and passes no gradient."""
    length = torch.linalg.vector_norm(o, dim=-1, keepdim=True)
    return torch.where(length > 0, o / torch.where(length > 0, length, torch.ones_like(length)), torch.zeros_like(o))


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


@wide
def weighted_sum(terms, coefficients):                              # [n] and n numbers -> []
    return (terms * torch.tensor(coefficients, dtype=terms.dtype)).sum()


def compete_layer(x, wr, br, w1, b1, w2, b2, p):
    """(C.8)"""
    act = activation(p["activation"])
    if p["compete"] == "no":
        out = layer_smoe(x, wr, br, w1, b1, w2, b2, p["k"], p["order"], act)
        r, zero = out["r"], x.new_zeros(())
        out.update(balance=balance(r, out["index"], p["count"]), zloss=balance_zloss(r),
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


# --- operations by name: (inputs, parameters) -> outputs ------------------------------------------------------------

DEFAULTS = {"k": 2, "order": "topk-softmax", "activation": "relu", "approximate": "none", "count": "all", "scope": "batch",
            "sequence": 0, "kind": "softplus", "version": "2", "theta": 0.125, "detach": "yes", "mean": "pairs",
            "compete": "yes", "c_distill": 0.01, "c_diversity": 0.01, "c_balance": 0.01, "c_zloss": 0.001}


def numerics_topk(s, k):
    index = topk(s, k)
    return {"index": index, "value": take(s, index)}


def gate(r, p):
    index, weight = gate_weights(r, p["k"], p["order"])
    return {"index": index, "weight": weight}


OPERATIONS = {
    "numerics.exp": lambda i, p: {"y": wide(torch.exp)(i["x"])},
    "numerics.expm1": lambda i, p: {"y": wide(torch.expm1)(i["x"])},
    "numerics.log": lambda i, p: {"y": wide(torch.log)(i["x"])},
    "numerics.log1p": lambda i, p: {"y": wide(torch.log1p)(i["x"])},
    "numerics.tanh": lambda i, p: {"y": wide(torch.tanh)(i["x"])},
    "numerics.erf": lambda i, p: {"y": wide(torch.erf)(i["x"])},
    "numerics.erfc": lambda i, p: {"y": wide(torch.erfc)(i["x"])},
    "numerics.sigmoid": lambda i, p: {"y": wide(torch.sigmoid)(i["x"])},
    "numerics.softplus": lambda i, p: {"y": softplus(i["x"])},
    "numerics.silu": lambda i, p: {"y": silu(i["x"])},
    "numerics.gelu": lambda i, p: {"y": gelu(i["x"], p["approximate"])},
    "numerics.normal_cdf": lambda i, p: {"y": wide(torch.special.ndtr)(i["x"])},
    "numerics.normal_pdf": lambda i, p: {"y": normal_pdf(i["x"])},
    "numerics.sum": lambda i, p: {"sum": wide(torch.sum)(i["x"])},
    "numerics.dot": lambda i, p: {"dot": wide(torch.dot)(i["x"], i["y"])},
    "numerics.axpy": lambda i, p: {"z": wide(lambda a, x, y: a * x + y)(i["a"], i["x"], i["y"])},
    "numerics.matmul_nn": lambda i, p: {"c": matmul(i["a"], i["b"])},
    "numerics.matmul_nt": lambda i, p: {"c": matmul(i["a"], i["b"].t())},
    "numerics.matmul_tn": lambda i, p: {"c": matmul(i["a"].t(), i["b"])},
    "numerics.softmax": lambda i, p: {"p": softmax(i["z"])},
    "numerics.logsumexp": lambda i, p: {"lse": logsumexp(i["z"])},
    "numerics.norm": lambda i, p: {"norm": norm(i["x"])},
    "numerics.topk": lambda i, p: numerics_topk(i["s"], p["k"]),
    "expert.relu": lambda i, p: {"y": expert(**i, act=activation("relu"))},
    "expert.gelu": lambda i, p: {"y": expert(**i, act=activation("gelu", p["approximate"]))},
    "expert.swiglu": lambda i, p: {"y": expert_swiglu(**i)},
    "gate.linear": lambda i, p: {"r": linear(i["x"], i["wr"], i["br"])},
    "gate.weights": lambda i, p: gate(i["r"], p),
    "layer.smoe": lambda i, p: layer_smoe(**i, k=p["k"], order=p["order"], act=activation(p["activation"])),
    "balance.switch": lambda i, p: balance_switch(i["r"], p["k"], p["count"], p["scope"], p["sequence"]),
    "balance.zloss": lambda i, p: {"loss": balance_zloss(i["r"])},
    "compete.response": lambda i, p: {"s": response(i["o"], p["kind"])},
    "compete.route": lambda i, p: route(i["o"], p["k"], p["version"]),
    "compete.distill": lambda i, p: {"loss": distill(i["r"], i["s"], topk(i["s"], p["k"]), p["theta"],
                                                     p["detach"] == "yes")},
    "compete.diversity": lambda i, p: {"loss": diversity(i["o"], p["mean"])},
    "compete.layer": lambda i, p: compete_layer(**i, p=p),
}


def answer(op, parameters, inputs, cotangents, precision):
    """Outputs, and by autograd the gradients of sum(output * cotangent) in every input."""
    if op not in OPERATIONS:
        raise smoeref_io.Unsupported(f"no operation '{op}' in this client")
    dtype = DTYPE[precision]
    x = {name: torch.tensor(value).to(dtype).requires_grad_() for name, value in inputs.items()}
    out = OPERATIONS[op](x, {**DEFAULTS, **parameters})

    seeded = [name for name, value in out.items() if name in cotangents and value.requires_grad]
    if seeded:
        torch.autograd.backward([out[name] for name in seeded],
                                [torch.tensor(cotangents[name]).to(dtype) for name in seeded])
    result = {name: value.detach() for name, value in out.items()}
    for name, value in x.items():                                   # no path from it to a seeded output: a zero gradient
        result["d_" + name] = torch.zeros_like(value) if value.grad is None else value.grad
    return {name: (v.double() if v.is_floating_point() else v).numpy() for name, v in result.items()}


if __name__ == "__main__":
    smoeref_warm.run(lambda: smoeref_io.main(answer))
