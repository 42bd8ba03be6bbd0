"""smoeref in NumPy: the CompeteSMoE and SMoE layers with hand-derived gradients.  A sample to copy; see ../README.md.

Written from the equations of spec/, whose numbers are given at each function.  Letters: T tokens, N experts, K selected
experts of a token, d width, h hidden width; the shape of a tensor is in brackets.

Every function f has its f_back next to it: what reaches an output is called d<output>, what it returns is the gradient of
the inputs, in the order of the inputs.  The derivation is the comment.

Number formats: f64 and f32 use one format throughout.  bf16 and f16 mean what hardware means by them: float32 arithmetic,
and every tensor is rounded to 16 bits when it is stored.  That rounding is `store`.
"""
import math
import os
import sys

import numpy as np

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import smoeref_io  # noqa: E402


class Format:
    """The number format in use."""
    arithmetic = np.float64
    storage = None


def use(precision):
    Format.arithmetic = np.float64 if precision == "f64" else np.float32
    Format.storage = precision


def store(x):
    """The tensor x as memory holds it."""
    x = np.asarray(x, dtype=Format.arithmetic)
    if Format.storage == "bf16":
        return smoeref_io.bf16_values(smoeref_io.bf16_bits(x)).reshape(x.shape)
    if Format.storage == "f16":
        return x.astype(np.float16).astype(np.float32)
    return x


# --- numerics -------------------------------------------------------------------------------------------------------

def softmax(z):
    """(N.22) p = e^(z - max) / sum e^(z - max), over the last dimension."""
    e = np.exp(z - z.max(-1, keepdims=True))
    return store(e / e.sum(-1, keepdims=True))


def softmax_back(p, dp):
    """dp_i/dz_j = p_i (1[i=j] - p_j), so dz = p (dp - <p,dp>)."""
    return store(p * (dp - (p * dp).sum(-1, keepdims=True)))


def logsumexp(z):
    """(N.23)"""
    m = z.max(-1, keepdims=True)
    return store(m[..., 0] + np.log(np.exp(z - m).sum(-1)))


def logsumexp_back(z, dlse):
    """d lse / dz = softmax(z)."""
    return store(softmax(z) * dlse[..., None])


def norm(x):
    """(N.24) over the last dimension.  Scaled by the largest entry, so that no square overflows."""
    m = np.abs(x).max(-1, keepdims=True)
    m = np.where(m > 0, m, 1)
    return store(m[..., 0] * np.sqrt(((x / m) ** 2).sum(-1)))


def divide_or_zero(x, y):
    """x / y, and 0 where y is 0."""
    return np.where(y != 0, x / np.where(y != 0, y, 1), 0)


def norm_back(x, n, dn):
    """d|x|/dx = x / |x|, and 0 at x = 0."""
    return store(dn[..., None] * divide_or_zero(x, n[..., None]))


def softplus(x):
    """(N.16) ln(1 + e^x) = max(x,0) + ln(1 + e^-|x|), which neither overflows nor cancels."""
    return store(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


def sigmoid(x):
    """(N.15) 1/(1 + e^-x), as e^x/(1 + e^x) below 0; the derivative of softplus."""
    e = np.exp(-np.abs(x))
    return store(np.where(x >= 0, 1, e) / (1 + e))


def normal_cdf(x):
    """(N.20) erfc(-x/sqrt 2)/2.  NumPy has no erfc: Python's, element by element."""
    erfc = np.frompyfunc(lambda v: 0.5 * math.erfc(-v * math.sqrt(0.5)), 1, 1)
    return np.asarray(erfc(x.astype(np.float64)), dtype=Format.arithmetic)


def normal_pdf(x):
    """(N.21)"""
    return np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def relu(a):
    return np.maximum(a, 0)


def relu_back(a, dy):
    """1 where a > 0, else 0 (also at 0)."""
    return np.where(a > 0, dy, 0)


def gelu(a):
    """(N.18) a Phi(a)."""
    return store(a * normal_cdf(a))


def gelu_back(a, dy):
    """Phi(a) + a phi(a)."""
    return store(dy * (normal_cdf(a) + a * normal_pdf(a)))


ACTIVATION = {"relu": (relu, relu_back), "gelu": (gelu, gelu_back)}


def topk(s, k):
    """(N.25) The K largest of each row [T,N] -> [T,K]: by value, and the lower index first among equals."""
    return np.argsort(-s, axis=-1, kind="stable")[..., :k]


def take(s, index):
    """s [T,N] at index [T,K] -> [T,K]."""
    return np.take_along_axis(s, index, -1)


def take_back(s, index, dv):
    """What reaches the taken values goes to where they were taken from; the rest gets 0."""
    ds = np.zeros_like(s)
    np.put_along_axis(ds, index, dv, -1)
    return ds


# --- experts (E.1, E.2) and linear gate (G.1) -----------------------------------------------------------------------

def linear(x, w, b):
    """x [T,d], w [n,d], b [n] -> [T,n]."""
    return store(x @ w.T + b)


def linear_back(x, w, da):
    """a = x W' + b: dx = da W, dW = da' x, db = sum over the tokens of da."""
    return store(da @ w), store(da.T @ x), store(da.sum(0))


def expert(x, w1, b1, w2, b2, act):
    """W2 act(W1 x + b1) + b2 -> y [T,d], and the pre-activation [T,h] for the way back."""
    a = linear(x, w1, b1)
    return linear(ACTIVATION[act][0](a), w2, b2), a


def expert_back(x, w1, w2, act, a, dy):
    """The chain rule through linear, activation, linear."""
    dg, dw2, db2 = linear_back(ACTIVATION[act][0](a), w2, dy)
    dx, dw1, db1 = linear_back(x, w1, ACTIVATION[act][1](a, dg))
    return dx, dw1, db1, dw2, db2


# --- selection and weights (G.2 to G.4) -----------------------------------------------------------------------------

def normalise(v):
    """w = v / sum v, rows of [T,K]."""
    return store(v / v.sum(-1, keepdims=True))


def normalise_back(v, w, dw):
    """dw_i/dv_j = (1[i=j] - w_i)/S with S = sum v, so dv = (dw - <w,dw>)/S."""
    return store((dw - (w * dw).sum(-1, keepdims=True)) / v.sum(-1, keepdims=True))


def gate_weights(r, k, order):
    """The K experts with the largest logits r [T,N], and their weights [T,K]."""
    index = topk(r, k)
    if order == "topk-softmax":                                     # (G.2)
        return index, softmax(take(r, index))
    if order == "softmax-topk":                                     # (G.3)
        return index, take(softmax(r), index)
    return index, normalise(take(softmax(r), index))                # (G.4)


def gate_weights_back(r, index, weight, order, dweight):
    if order == "topk-softmax":
        return take_back(r, index, softmax_back(weight, dweight))
    p = softmax(r)
    if order == "softmax-topk-renorm":
        dweight = normalise_back(take(p, index), weight, dweight)
    return softmax_back(p, take_back(p, index, dweight))


# --- SMoE layer (L.1 to L.3) ----------------------------------------------------------------------------------------

def combine(weight, o):
    """y = sum_j w_j o_j: weight [T,K], o [T,K,d] -> [T,d]."""
    return store((weight[..., None] * o).sum(1))


def combine_back(weight, o, dy):
    """dw_j = <dy, o_j>, do_j = w_j dy."""
    return store((dy[:, None] * o).sum(-1)), store(weight[..., None] * dy[:, None])


def experts_on_selected(x, index, w1, b1, w2, b2, act):
    """(L.1), (L.2): the output of expert index[t,j] on token t -> [T,K,d].  Each expert sees its own tokens only."""
    o = np.zeros(index.shape + x.shape[-1:], x.dtype)
    kept = []
    for i in range(len(w1)):
        t, j = np.nonzero(index == i)
        o[t, j], a = expert(x[t], w1[i], b1[i], w2[i], b2[i], act)
        kept.append((t, j, a))
    return o, kept


def experts_on_selected_back(x, w1, b1, w2, b2, act, kept, do):
    dx = np.zeros_like(x)
    dw = []
    for i, (t, j, a) in enumerate(kept):
        dxi, *dwi = expert_back(x[t], w1[i], w2[i], act, a, do[t, j])
        dx[t] = store(dx[t] + dxi)                                  # an expert has a token at most once
        dw.append(dwi)
    return (dx, *(np.stack(g) for g in zip(*dw)))


def layer_smoe(x, wr, br, w1, b1, w2, b2, k, order, act):
    """y_t = sum over the selected experts of weight * output.  Returns the outputs and what the way back needs."""
    r = linear(x, wr, br)                                           # (G.1)
    index, weight = gate_weights(r, k, order)
    o, kept = experts_on_selected(x, index, w1, b1, w2, b2, act)
    y = combine(weight, o)                                          # (L.3)
    return {"y": y, "index": index, "weight": weight, "r": r}, (o, kept)


def layer_smoe_back(x, wr, br, w1, b1, w2, b2, order, act, out, saved, dy, dweight, dr):
    """dweight and dr: what reaches the weights and the logits from elsewhere."""
    o, kept = saved
    dw, do = combine_back(out["weight"], o, dy)
    dr = store(dr + gate_weights_back(out["r"], out["index"], out["weight"], order, store(dw + dweight)))
    dx_gate, dwr, dbr = linear_back(x, wr, dr)
    dx, dw1, db1, dw2, db2 = experts_on_selected_back(x, w1, b1, w2, b2, act, kept, do)
    return dict(x=store(dx + dx_gate), wr=dwr, br=dbr, w1=dw1, b1=db1, w2=dw2, b2=db2)


# --- balance (B.1 to B.6) -------------------------------------------------------------------------------------------

def expert_fraction(index, n, count):
    """(B.1), (B.2): the share of the choices index [T,K] that fell on each of n experts.  A constant: no gradient."""
    chosen = index if count == "all" else index[:, :1]
    return store(np.bincount(chosen.ravel(), minlength=n) / chosen.size)


def mean_probability(p):
    """(B.3) P_i = (1/T) sum_t p_t,i."""
    return store(p.mean(0))


def balance(p, index, count):
    """(B.4) N sum_i f_i P_i, of probabilities p [T,N]."""
    n = p.shape[-1]
    return store(n * (expert_fraction(index, n, count) * mean_probability(p)).sum())


def balance_back(p, index, count, dloss):
    """d loss / dp_t,i = N f_i / T, the same for every token."""
    t, n = p.shape
    return store(np.broadcast_to(dloss * n * expert_fraction(index, n, count) / t, p.shape))


def fraction_of(index, n, p):
    """f of some tokens' choices, at most `capacity` of an expert (B.8), over the choices or over the tokens."""
    chosen = index if p["count"] == "all" else index[:, :1]
    count = np.bincount(chosen.ravel(), minlength=n)
    if p["capacity"] > 0:
        count = np.minimum(count, p["capacity"])
    return store(count / (len(index) if p["divide"] == "tokens" else chosen.size))


def groups_of(mask, p):
    """The real tokens (B.7) of the batch, of each sequence or of each layer (B.5); none of those that are all padding."""
    length = len(mask) if p["scope"] == "batch" else p["sequence"]
    groups = [t + np.flatnonzero(mask[t:t + length]) for t in range(0, len(mask), length)]
    return [tokens for tokens in groups if len(tokens)]


def balance_switch(r, mask, p):
    index, probability, n = topk(r, p["k"]), softmax(r), r.shape[-1]
    losses = [store(n * (fraction_of(index[tokens], n, p) * mean_probability(probability[tokens])).sum())
              for tokens in groups_of(mask, p)]
    real = np.flatnonzero(mask)
    return {"loss": store(np.mean(losses) if p["reduce"] == "mean" else np.sum(losses)), "index": index,
            "fraction": fraction_of(index[real], n, p), "probability": mean_probability(probability[real])}


def balance_switch_back(r, mask, index, p, dloss):
    probability, n = softmax(r), r.shape[-1]
    dp, groups = np.zeros_like(probability), groups_of(mask, p)
    for tokens in groups:
        share = dloss / len(groups) if p["reduce"] == "mean" else dloss
        dp[tokens] = store(share * n * fraction_of(index[tokens], n, p) / len(tokens))
    return softmax_back(probability, dp)


def zloss(r):
    """(B.6) the mean over tokens of logsumexp(r_t)^2."""
    return store((logsumexp(r) ** 2).mean())


def zloss_back(r, dloss):
    """d/dr = (2/T) lse softmax(r)."""
    return logsumexp_back(r, store(dloss * 2 * logsumexp(r) / len(r)))


# --- competition (C.1 to C.8) ---------------------------------------------------------------------------------------

def response(o):
    """(C.1) s = the mean over the d outputs of softplus(o), o [T,N,d] -> [T,N]."""
    return store(softplus(o).mean(-1))


def response_back(o, ds):
    """ds/do_d = sigmoid(o_d) / d."""
    return store(sigmoid(o) * ds[..., None] / o.shape[-1])


def outputs_of(o, index):
    """The winners' outputs: o [T,N,d] at index [T,K] -> [T,K,d]."""
    return np.take_along_axis(o, index[..., None], 1)


def outputs_of_back(o, index, dwon):
    do = np.zeros_like(o)
    np.put_along_axis(do, index[..., None], dwon, 1)
    return do


def route(o, k, version):
    """(C.1) to (C.3): the experts compete by response; y = sum of the winners' weighted outputs."""
    s = response(o) if version == "2" else norm(o)
    index = topk(s, k)
    best = take(s, index)
    weight = normalise(best) if version == "2" else softmax(best)   # (C.2)
    y = combine(weight, outputs_of(o, index))                       # (C.3)
    return {"y": y, "s": s, "index": index, "weight": weight}


def route_back(o, version, out, dy, dweight, ds, dwon=0):
    """The gradient of o: through y directly, through the weights, and through s.  ds: what reaches the responses from
    elsewhere; dwon: what reaches the winners' outputs from elsewhere."""
    s, index, weight = out["s"], out["index"], out["weight"]
    dw, do = combine_back(weight, outputs_of(o, index), dy)
    dw = store(dw + dweight)
    best = take(s, index)
    dbest = normalise_back(best, weight, dw) if version == "2" else softmax_back(weight, dw)
    ds = store(ds + take_back(s, index, dbest))
    dresponse = response_back(o, ds) if version == "2" else norm_back(o, s, ds)
    return store(outputs_of_back(o, index, store(do + dwon)) + dresponse)


def distill(p, q, index, theta):
    """(C.5) mean of (p - q)^2 over all T N entries, and theta times its mean over the T K winners."""
    e = store(p - q)
    return store((e * e).mean() + theta * (take(e, index) ** 2).mean())


def distill_back(p, q, index, theta, dloss):
    """With e = p - q: de = 2 e (1/(T N) + theta 1[winner]/(T K)) dloss; dp = de, dq = -de."""
    e = store(p - q)
    factor = np.full_like(e, 1 / e.size) + take_back(e, index, theta / index.size)
    return store(2 * dloss * e * factor)


def unit(o):
    """u = o / |o| over the last dimension; a zero row stays zero."""
    n = norm(o)[..., None]
    return store(divide_or_zero(o, n)), n


def unit_back(u, n, du):
    """du_i/do_j = (1[i=j] - u_i u_j)/|o|, so do = (du - u <u,du>)/|o|; 0 for a zero row."""
    return store(divide_or_zero(du - u * (u * du).sum(-1, keepdims=True), n))


def pairs(k, kind):
    """How many ordered pairs the mean of (C.6) is taken over."""
    return k * (k - 1) if kind == "pairs" else k * k


def diversity(o, kind):
    """(C.6) the mean over tokens and pairs i != j of <u_i,u_j>, o [T,K,d]; 0 for one winner."""
    t, k, _ = o.shape
    if k == 1:
        return store(0)
    u, _ = unit(o)
    gram = store(u @ u.transpose(0, 2, 1))                          # [T,K,K]
    return store((gram * (1 - np.eye(k, dtype=o.dtype))).sum() / (t * pairs(k, kind)))


def diversity_back(o, kind, dloss):
    """<u_i,u_j> occurs twice, as (i,j) and (j,i): du_i = 2/(T pairs) sum over j != i of u_j."""
    t, k, _ = o.shape
    if k == 1:
        return np.zeros_like(o)
    u, n = unit(o)
    others = (1 - np.eye(k, dtype=o.dtype)) @ u                     # [T,K,d]
    return unit_back(u, n, store(dloss * 2 / (t * pairs(k, kind)) * others))


def experts_on_all(x, w1, b1, w2, b2, act):
    """The output of every expert on every token -> [T,N,d], and the pre-activations."""
    o, a = zip(*(expert(x, *w, act) for w in zip(w1, b1, w2, b2)))
    return np.stack(o, 1), a


def experts_on_all_back(x, w1, w2, act, a, do):
    dx = np.zeros_like(x)
    dw = []
    for i in range(len(w1)):
        dxi, *dwi = expert_back(x, w1[i], w2[i], act, a[i], do[:, i])
        dx = store(dx + dxi)
        dw.append(dwi)
    return (dx, *(np.stack(g) for g in zip(*dw)))


def compete_layer(x, wr, br, w1, b1, w2, b2, p):
    """(C.8) when the experts compete.  Returns the outputs and what the way back needs."""
    r = linear(x, wr, br)
    o, a = experts_on_all(x, w1, b1, w2, b2, p["activation"])
    out = route(o, p["k"], "2")
    index = out["index"]
    policy, target = softmax(r), softmax(out["s"])                  # (C.4): what the router says, and what it should say
    out.update(r=r, zloss=store(0),
               distill=distill(policy, target, index, p["theta"]),
               diversity=diversity(outputs_of(o, index), p["mean"]),
               balance=balance(target, index, p["count"]))          # (C.7)
    out["loss"] = store(p["c_distill"] * out["distill"] + p["c_diversity"] * out["diversity"]
                        + p["c_balance"] * out["balance"])
    return out, (o, a, policy, target)


def compete_layer_back(x, wr, br, w1, b1, w2, b2, p, out, saved, d):
    o, a, policy, target = saved
    index = out["index"]
    ddistill = store(d["distill"] + p["c_distill"] * d["loss"])
    ddiversity = store(d["diversity"] + p["c_diversity"] * d["loss"])
    dbalance = store(d["balance"] + p["c_balance"] * d["loss"])

    dpolicy = distill_back(policy, target, index, p["theta"], ddistill)
    dtarget = balance_back(target, index, p["count"], dbalance)
    if p["detach"] == "no":
        dtarget = store(dtarget - dpolicy)
    dwon = diversity_back(outputs_of(o, index), p["mean"], ddiversity)
    do = route_back(o, "2", out, d["y"], d["weight"], softmax_back(target, dtarget), dwon)

    dx, dw1, db1, dw2, db2 = experts_on_all_back(x, w1, w2, p["activation"], a, do)
    dx_gate, dwr, dbr = linear_back(x, wr, softmax_back(policy, dpolicy))
    return dict(x=store(dx + dx_gate), wr=dwr, br=dbr, w1=dw1, b1=db1, w2=dw2, b2=db2)


def routed_layer(weights, p):
    """(C.8) when the router decides: the SMoE layer with the balancing losses of its logits."""
    out, saved = layer_smoe(**weights, k=p["k"], order=p["order"], act=p["activation"])
    r = out["r"]
    out.update(balance=balance(softmax(r), out["index"], p["count"]), zloss=zloss(r),
               distill=store(0), diversity=store(0), s=np.zeros_like(r))
    out["loss"] = store(p["c_balance"] * out["balance"] + p["c_zloss"] * out["zloss"])
    return out, saved


def routed_layer_back(weights, p, out, saved, d):
    r = out["r"]
    dbalance = store(d["balance"] + p["c_balance"] * d["loss"])
    dzloss = store(d["zloss"] + p["c_zloss"] * d["loss"])
    probability = softmax(r)
    dr = store(softmax_back(probability, balance_back(probability, out["index"], p["count"], dbalance))
               + zloss_back(r, dzloss))
    return layer_smoe_back(**weights, order=p["order"], act=p["activation"], out=out, saved=saved,
                           dy=d["y"], dweight=d["weight"], dr=dr)


# --- operations by name: (inputs, parameters, cotangents) -> outputs, gradients -------------------------------------

DEFAULTS = {"k": 2, "order": "topk-softmax", "activation": "relu", "count": "all", "divide": "choices",
            "scope": "batch", "sequence": 0, "reduce": "mean", "capacity": 0, "version": "2", "theta": 0.125, "detach": "yes", "mean": "pairs", "compete": "yes",
            "c_distill": 0.01, "c_diversity": 0.01, "c_balance": 0.01, "c_zloss": 0.001}


def op_gate_weights(i, p, d):
    index, weight = gate_weights(i["r"], p["k"], p["order"])
    return {"index": index, "weight": weight}, \
        {"r": gate_weights_back(i["r"], index, weight, p["order"], d["weight"])}


def op_layer_smoe(i, p, d):
    out, saved = layer_smoe(**i, k=p["k"], order=p["order"], act=p["activation"])
    return out, layer_smoe_back(**i, order=p["order"], act=p["activation"], out=out, saved=saved,
                                dy=d["y"], dweight=d["weight"], dr=np.zeros_like(out["r"]))


def op_balance_switch(i, p, d):
    out = balance_switch(i["r"], i["mask"], p)
    return out, {"r": balance_switch_back(i["r"], i["mask"], out["index"], p, d["loss"])}


def op_balance_zloss(i, p, d):
    return {"loss": zloss(i["r"])}, {"r": zloss_back(i["r"], d["loss"])}


def op_compete_route(i, p, d):
    out = route(i["o"], p["k"], p["version"])
    return out, {"o": route_back(i["o"], p["version"], out, d["y"], d["weight"], d["s"])}


def op_compete_distill(i, p, d):
    if p["version"] != "2" or p["terms"] != "both":
        raise smoeref_io.Unsupported("of the distillation this client has version 2 with both terms")
    policy, target, index = softmax(i["r"]), softmax(i["s"]), topk(i["s"], p["k"])
    dpolicy = distill_back(policy, target, index, p["theta"], d["loss"])
    ds = np.zeros_like(target) if p["detach"] == "yes" else softmax_back(target, -dpolicy)
    return {"loss": distill(policy, target, index, p["theta"])}, {"r": softmax_back(policy, dpolicy), "s": ds}


def op_compete_diversity(i, p, d):
    return {"loss": diversity(i["o"], p["mean"])}, {"o": diversity_back(i["o"], p["mean"], d["loss"])}


def op_compete_layer(i, p, d):
    if p["compete"] == "no":
        out, saved = routed_layer(i, p)
        return out, routed_layer_back(i, p, out, saved, d)
    out, saved = compete_layer(**i, p=p)
    return out, compete_layer_back(**i, p=p, out=out, saved=saved, d=d)


OPERATIONS = {"gate.weights": op_gate_weights, "layer.smoe": op_layer_smoe, "balance.switch": op_balance_switch,
              "balance.zloss": op_balance_zloss, "compete.route": op_compete_route, "compete.distill": op_compete_distill,
              "compete.diversity": op_compete_diversity, "compete.layer": op_compete_layer}


def answer(op, parameters, inputs, cotangents, precision):
    if op not in OPERATIONS:
        raise smoeref_io.Unsupported(f"no operation '{op}' in this client")
    use(precision)
    with np.errstate(under="ignore"):
        out, grad = OPERATIONS[op]({name: store(value) for name, value in inputs.items()}, {**DEFAULTS, **parameters},
                                   {name: store(value) for name, value in cotangents.items()})
    return {**out, **{"d_" + name: value for name, value in grad.items()}}


if __name__ == "__main__":
    sys.exit(smoeref_io.main(answer))
