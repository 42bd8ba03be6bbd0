"""Chapter T, spec/08-convergence.md: the convergence set-up."""
import math

import torch

from numerics import gelu, log, logsumexp, mean, sigmoid, softplus, take, tanh, topk, wide

ACTIVATION = {"tanh": tanh, "gelu": gelu, "sigmoid": sigmoid}


# --- the model (T.1 to T.5) -----------------------------------------------------------------------------------------

@wide
def linear_means(x, a, b):
    """(T.1): x [n,d], a [N,d], b [N] -> [n,N]."""
    return x @ a.t() + b


@wide
def hidden_units(x, w, c):
    """z of (T.1): x [n,d], w [N,H,d], c [N,H] -> [n,N,H]."""
    return torch.einsum("nd,NHd->nNH", x, w) + c


@wide
def out_of_units(u, v, b):
    """(T.1): u [n,N,H], v [N,H], b [N] -> [n,N]."""
    return (u * v).sum(-1) + b


def means(i, p):
    if "a" in i:
        return linear_means(i["x"], i["a"], i["b"])
    return out_of_units(ACTIVATION[p["activation"]](hidden_units(i["x"], i["w"], i["c"])), i["v"], i["b"])


def scores(i, h, gate):
    """(T.2), free weights apart -> [n,N].  The slope of |h| at 0 is 0, as in torch."""
    if gate == "softmax":
        return linear_means(i["x"], i["beta1"], torch.zeros_like(i["beta0"]))
    if gate == "norm":
        return h.abs()
    s = softplus(h)
    return log(s) if gate == "softplus" else s


@wide
def normalise(g):
    """(T.2): log-softmax of each row."""
    return torch.log_softmax(g, -1)


@wide
def log_normal(r, nu):
    """(T.3): r [n,K] = y - h."""
    return -0.5 * (math.log(2 * math.pi) + torch.log(nu)) - 0.5 * r * r / nu


def log_density(i, p):
    """(T.4) -> logp [n], and the atoms that have weight, [n,K]."""
    h = means(i, p)
    s = scores(i, h, p["gate"])
    index = topk(s, p["k"])
    g = take(s + i["beta0"] if p["free"] == "yes" else s, index)
    normals = log_normal(i["y"].unsqueeze(-1) - take(h, index), i["nu"][index])
    return logsumexp(normalise(g) + normals), index


def density(i, p):
    logp, index = log_density(i, p)
    return {"logp": logp, "index": index}


def loglik(i, p):
    logp, index = log_density(i, p)
    return {"loglik": mean(logp), "index": index}                       # (T.5)


OPERATIONS = {
    "convergence.density": density,
    "convergence.density.hidden": density,
    "convergence.loglik": loglik,
    "convergence.loglik.hidden": loglik,
}
CONSTANTS = {}  # operation -> the inputs that get no gradient
