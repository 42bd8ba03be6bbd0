"""Chapter K, spec/06-similarity.md: HSIC, CKA and what they are made of (K.1 to K.13).

Letters: n samples, p and q features; x [n,p] and y [n,q] are two representations of the same samples."""
import torch

from numerics import wide


# --- kernels (K.1 to K.5) -------------------------------------------------------------------------------------------

def squared_distances(x):
    """(K.2) [n,p] -> [n,n]: direct differences; |x|^2 + |y|^2 - 2 <x,y> fails where features are far from 0."""
    return (x.unsqueeze(1) - x.unsqueeze(0)).square().sum(-1)


def median(d, diagonal, middle):
    """(K.3) The middle one or two of n x n squared distances: [1] or [2] of them."""
    n = len(d)
    values = d.flatten() if diagonal == "with" else d[~torch.eye(n, dtype=torch.bool)]
    values = values.sort().values
    low = (len(values) - 1) // 2
    high = len(values) // 2 if middle == "mean" else low
    return values[low:high + 1]


def variance(d, p):
    """(K.3) sigma^2 of the squared distances d [n,n]."""
    if p["bandwidth"] == "absolute":
        return torch.tensor(p["sigma"], dtype=d.dtype).square()
    of = median(d, p["diagonal"], p["middle"])
    result = p["sigma"] ** 2 * (of.sqrt().mean().square() if p["median"] == "distance" else of.mean())
    return result.detach() if p["detach"] == "yes" else result


def kernel(x, p):
    """(K.1), (K.4) [n,p] -> [n,n], and sigma^2."""
    if p["kernel"] == "linear":
        return x @ x.t(), torch.zeros((), dtype=x.dtype)
    d = squared_distances(x)
    s = variance(d, p)
    return torch.exp(-d / (2 * s)), s


def centred_features(x):
    return x - x.mean(0, keepdim=True)


def centred(k):
    """(K.5) H k H: less the means of rows and columns, plus the mean of all."""
    return k - k.mean(0, keepdim=True) - k.mean(1, keepdim=True) + k.mean()


def centred_kernel(x, p):
    """Means before products where there is a choice."""
    return kernel(centred_features(x), p)[0] if p["kernel"] == "linear" else centred(kernel(x, p)[0])


@wide
def gram(x, p):
    return centred_kernel(x, p) if p["centre"] == "yes" else kernel(x, p)[0]


@wide
def bandwidth(x, p):
    return kernel(x, p)[1].detach()


# --- HSIC (K.6 to K.8) ----------------------------------------------------------------------------------------------

def hollow(k):
    return k - torch.diag(torch.diagonal(k))


def song(k, l):
    """(K.8) HSIC_1 by Song's sums."""
    n = len(k)
    k, l = hollow(k), hollow(l)
    return ((k * l).sum() + k.sum() * l.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k @ l).sum()) / (n * (n - 3))


def u_centred(k):
    """(K.7)"""
    n = len(k)
    k = hollow(k)
    rows = k.sum(1) / (n - 2)
    return hollow(k - rows.unsqueeze(0) - rows.unsqueeze(1) + k.sum() / ((n - 1) * (n - 2)))


def hsic_of_kernels(k, l, estimator, divisor):
    """k and l centred (biased), or as they are."""
    n = len(k)
    if estimator == "biased":
        return (k * l).sum() / divisor
    return song(k, l) if estimator == "unbiased" else (u_centred(k) * u_centred(l)).sum() / (n * (n - 3))


def hsic_of_features(x, y, estimator):
    """(K.11) of centred features, with the linear kernel."""
    n = len(x)
    cross = (x.t() @ y).square().sum()
    if estimator == "biased":
        return cross / (n - 1) ** 2
    a, b = x.square().sum(1), y.square().sum(1)
    return (cross - n / (n - 2) * (a @ b) + a.sum() * b.sum() / ((n - 1) * (n - 2))) / (n * (n - 3))


def kernel_for(x, p, estimator):
    if estimator == "biased":
        return centred_kernel(x, p)
    return kernel(centred_features(x) if p["kernel"] == "linear" else x, p)[0]


@wide
def hsic(x, y, p):
    n = len(x)
    divisor = {"n-1": (n - 1) ** 2, "n": n ** 2, "none": 1}[p["divide"]]
    kind = p["estimator"]
    return hsic_of_kernels(kernel_for(x, p, kind), kernel_for(y, p, kind), kind, divisor)


# --- CKA (K.9, K.12) ------------------------------------------------------------------------------------------------

def three(x, y, p, estimator, route):
    """HSIC of x with y, of x with itself, of y with itself."""
    if route == "features":
        x, y = centred_features(x), centred_features(y)
        return [hsic_of_features(*pair, estimator) for pair in ((x, y), (x, x), (y, y))]
    k, l = kernel_for(x, p, estimator), kernel_for(y, p, estimator)
    return [hsic_of_kernels(*pair, estimator, (len(x) - 1) ** 2) for pair in ((k, l), (k, k), (l, l))]


@wide
def cka(x, y, p):
    xy, xx, yy = three(x, y, p, p["estimator"], p["route"])
    return xy / (xx.sqrt() * yy.sqrt())


@wide
def minibatch(x, y, p):
    """(K.12)"""
    size = p["batch"]
    batches = [three(a, b, p, "unbiased", "gram") for a, b in zip(x.split(size), y.split(size))]
    xy, xx, yy = torch.stack([torch.stack(h) for h in batches]).mean(0)
    return xy / torch.sqrt(xx * yy)


# --- cosines (K.13) -------------------------------------------------------------------------------------------------

@wide
def cosine(x, y, form):
    """Mean over the rows; a row of zeros counts 0 and passes no gradient."""
    some = (x != 0).any(1) & (y != 0).any(1)
    a, b = x[some], y[some]
    c = (a * b).sum(1) / (torch.linalg.vector_norm(a, dim=1) * torch.linalg.vector_norm(b, dim=1))
    return (c.abs() if form == "absolute" else c).sum() / len(x)


OPERATIONS = {
    "similarity.kernel": lambda i, p: {"gram": gram(i["x"], p), "bandwidth": bandwidth(i["x"], p)},
    "similarity.hsic": lambda i, p: {"hsic": hsic(i["x"], i["y"], p)},
    "similarity.cka": lambda i, p: {"cka": cka(i["x"], i["y"], p)},
    "similarity.minibatch": lambda i, p: {"cka": minibatch(i["x"], i["y"], p)},
    "similarity.cosine": lambda i, p: {"value": cosine(i["x"], i["y"], p["form"])},
}
CONSTANTS = {}  # operation -> the inputs that get no gradient
