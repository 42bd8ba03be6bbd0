"""Chapter T, spec/08-convergence.md: the convergence set-up."""
import math

import torch

from numerics import exp, gelu, log, logsumexp, mean, sigmoid, softplus, take, tanh, topk, wide

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


# --- the Hessian's product (T.6): autograd twice ---------------------------------------------------------------------

PARTS = ("a", "b", "nu", "beta0", "beta1")


def hvp(i, p):
    with torch.enable_grad():
        theta = {name: i[name].detach().requires_grad_() for name in PARTS}
        logp, index = log_density({**i, **theta}, p)
        score = torch.autograd.grad(mean(logp), [theta[name] for name in PARTS], create_graph=True, allow_unused=True)
        slope = sum((g * i["v" + name]).sum() for g, name in zip(score, PARTS) if g is not None)
        product = torch.autograd.grad(slope, [theta[name] for name in PARTS], create_graph=True, allow_unused=True)
    return {**{"h" + name: torch.zeros_like(i[name]) if h is None else h for h, name in zip(product, PARTS)},
            "index": index}


# --- samples (T.7) ---------------------------------------------------------------------------------------------------

def all_log_weights(i, p):
    h = means(i, p)
    s = scores(i, h, p["gate"])
    return h, s, normalise(s + i["beta0"] if p["free"] == "yes" else s)


@wide
def draw(h, nu, z):
    return h + torch.sqrt(nu) * z


def sample(i, p):
    h, _, log_pi = all_log_weights(i, p)
    edges = exp(log_pi.double()).cumsum(-1)[:, :-1]
    label = (i["u"].double().unsqueeze(-1) >= edges).sum(-1, keepdim=True)
    return {"y": draw(take(h, label).squeeze(-1), i["nu"][label.squeeze(-1)], i["z"]), "label": label}


# --- distances (T.8): a rule of 16 points between knots at the atoms and at the crossings ------------------------------

def gauss_legendre(dtype):
    n = torch.arange(1, 16, dtype=torch.float64)
    off = n / torch.sqrt(4 * n * n - 1)
    points, vectors = torch.linalg.eigh(torch.diag(off, 1) + torch.diag(off, -1))
    return points.to(dtype), (2 * vectors[0] ** 2).to(dtype)


def log_mixture(y, h, log_pi, nu):
    return torch.logsumexp(log_pi + log_normal(y.unsqueeze(-1) - h, nu), -1)


def crossings(ratio, knots):
    """Where ratio changes its sign between neighbours, by halving."""
    signs = torch.sign(ratio(knots))
    at = torch.nonzero(signs[:-1] * signs[1:] < 0).flatten()
    left, right, sign = knots[at], knots[at + 1], signs[at]
    for _ in range(60):
        middle = (left + right) / 2
        same = torch.sign(ratio(middle)) == sign
        left, right = torch.where(same, middle, left), torch.where(same, right, middle)
    return left


def distances_at(p, q):
    """V and h^2 of two mixtures (h [N], log_pi [N], nu [N]) -> [2]."""
    steps = torch.arange(-12, 12.25, 0.5, dtype=p[0].dtype)
    knots = torch.cat([(h.unsqueeze(-1) + torch.sqrt(nu).unsqueeze(-1) * steps).flatten() for h, _, nu in (p, q)])
    knots = torch.sort(knots).values
    knots = torch.sort(torch.cat([knots, crossings(lambda y: log_mixture(y, *p) - log_mixture(y, *q), knots)])).values
    points, weights = gauss_legendre(p[0].dtype)
    half = (knots[1:] - knots[:-1]) / 2
    y = (knots[1:] + knots[:-1]).unsqueeze(-1) / 2 + half.unsqueeze(-1) * points
    log_p, log_q = log_mixture(y, *p), log_mixture(y, *q)
    integrands = (0.5 * (torch.exp(log_p) - torch.exp(log_q)).abs(),
                  0.5 * (torch.exp(log_p / 2) - torch.exp(log_q / 2)) ** 2)
    return torch.stack([((f * weights).sum(-1) * half).sum() for f in integrands])


@wide
def distances_of(h, log_pi, nu, qh, q_log_pi, q_nu):
    return torch.stack([distances_at((h[t], log_pi[t], nu), (qh[t], q_log_pi[t], q_nu)) for t in range(h.shape[0])])


@wide
def root_mean(square):
    return torch.sqrt(square.mean())


def distance(i, p):
    other = {**i, **{name: i["q" + name] for name in PARTS}}
    h, _, log_pi = all_log_weights(i, p)
    qh, _, q_log_pi = all_log_weights(other, p)
    variation, square = distances_of(h, log_pi, i["nu"], qh, q_log_pi, i["qnu"]).unbind(-1)
    return {"tv": mean(variation), "hellinger": root_mean(square), "variation": variation, "square": square}


# --- losses (T.9 to T.11) --------------------------------------------------------------------------------------------

@wide
def distances(atoms, truth):
    """atoms [N,d], truth [S,d] -> [N,S]: direct differences."""
    return torch.linalg.vector_norm(atoms.unsqueeze(1) - truth, dim=-1)


def mass_error(mass, star, cell):
    sums = torch.zeros_like(star).index_add(0, cell, mass)
    return (sums - star).abs().sum()


def merged(off, size, p):
    """(T.11): off [d] = theta_i - theta*_j of an atom in a cell of `size`."""
    r = {2: 4, 3: 6}.get(size)
    powers = (2, r, r / 2) if p["powers"] == "cell" else (p["slope"], p["intercept"], p["variance"])
    parts = (off[:-2], off[-2:-1], off[-1:])
    return sum(torch.linalg.vector_norm(part) ** power for part, power in zip(parts, powers))


@wide
def losses(atoms, truth, beta0, star, cell, p):
    mass = torch.exp(beta0)
    first = mass_error(mass, torch.exp(star), cell)
    off = atoms - truth[cell]
    single = torch.linalg.vector_norm(off, dim=-1)
    size = torch.bincount(cell)[cell].tolist()
    over = torch.stack([single[n] if size[n] == 1 else merged(off[n], size[n], p) for n in range(len(size))])
    return torch.stack([first + (mass * single).sum(), first + (mass * over).sum()])


def voronoi(i, p):
    cell = distances(i["atoms"], i["truth"]).double().argmin(-1)
    exact, over = losses(i["atoms"], i["truth"], i["beta0"], i["beta0star"], cell, p)
    return {"exact": exact, "over": over, "cell": cell.unsqueeze(-1)}


# --- estimators (T.12, T.13) -----------------------------------------------------------------------------------------

def weighted_step(x, w, g):
    """(sum w x~x~')^-1 sum g x~ with x~ = (x,1), the mean taken first -> [d+1]."""
    centre = (w.unsqueeze(-1) * x).sum(0) / w.sum()
    off = x - centre
    a = torch.linalg.solve((w.unsqueeze(-1) * off).t() @ off, off.t() @ g)
    return torch.cat([a, (g.sum() / w.sum() - a @ centre).reshape(1)])


def score_slope(h, gate):
    if gate == "norm":
        return torch.sign(h)
    return torch.sigmoid(h) / softplus(h) if gate == "softplus" else torch.sigmoid(h)


@wide
def mean_squares(x, y, h, q, step):
    r = y.unsqueeze(-1) - (h + linear_means(x, step[:, :-1], step[:, -1]))
    return (q * r * r).sum(0) / q.sum(0)


@wide
def directions(x, y, h, q, pi, nu, gate):
    pull = q * (y.unsqueeze(-1) - h)
    if gate != "softmax":
        pull = pull + (q - pi) * score_slope(h, gate) * nu
    return torch.stack([weighted_step(x, q[:, n], pull[:, n]) for n in range(q.shape[1])])


def em(i, p):
    h, _, log_pi = all_log_weights(i, p)
    joint = log_pi + log_normal(i["y"].unsqueeze(-1) - h, i["nu"])
    q = exp(normalise(joint))
    step = directions(i["x"], i["y"], h, q, exp(log_pi), i["nu"], p["gate"])
    return {"q": q, "loglik": mean(logsumexp(joint)), "da": step[:, :-1], "db": step[:, -1],
            "variance": mean_squares(i["x"], i["y"], h, q, step)}


@wide
def least_squares(x, y):
    """(T.13) -> a, b, nu of one atom in one row."""
    a, rest = weighted_step(x, torch.ones_like(y), y - y.mean()).split([x.shape[1], 1])
    b = rest + y.mean()
    return torch.cat([a, b, ((y - x @ a - b) ** 2).mean().reshape(1)])


def oracle(i, p):
    fit = torch.stack([least_squares(i["x"][i["label"] == n], i["y"][i["label"] == n]) for n in range(p["experts"])])
    return {"a": fit[:, :-2], "b": fit[:, -2], "nu": fit[:, -1]}


# --- derivatives of units (T.14): autograd on every z ------------------------------------------------------------------

def unit(z, activation):
    return z if activation == "linear" else ACTIVATION[activation](z)


def identifiability(i, p):
    x = i["x"].detach()
    with torch.enable_grad():
        z = linear_means(x, i["w"].detach(), i["c"].detach()).requires_grad_()
        value = unit(z, p["activation"])
        slope, = torch.autograd.grad(value.sum(), z, create_graph=True)
        bend = torch.zeros_like(z)
        if slope.requires_grad:
            bend, = torch.autograd.grad(slope.sum(), z)
    rows = x.unsqueeze(1)                                               # [n,1,d]
    bends = bend.unsqueeze(-1) * rows
    return {"value": value.detach(), "slope": slope.detach(), "slopes": slope.detach().unsqueeze(-1) * rows,
            "bend": bend, "bends": bends, "hessian": bends.unsqueeze(-1) * rows.unsqueeze(-2)}


OPERATIONS = {
    "convergence.density": density,
    "convergence.density.hidden": density,
    "convergence.loglik": loglik,
    "convergence.loglik.hidden": loglik,
    "convergence.hvp": hvp,
    "convergence.sample": sample,
    "convergence.distance": distance,
    "convergence.voronoi": voronoi,
    "convergence.em": em,
    "convergence.oracle": oracle,
    "convergence.identifiability": identifiability,
}
MODEL = ("x", "y", "u", "z", "a", "b", "nu", "beta0", "beta1")
CONSTANTS = {  # operation -> the inputs that get no gradient
    "convergence.hvp": MODEL,
    "convergence.sample": MODEL,
    "convergence.distance": MODEL + tuple("q" + name for name in PARTS),
    "convergence.voronoi": ("atoms", "truth", "beta0", "beta0star"),
    "convergence.em": MODEL,
    "convergence.oracle": ("x", "y"),
    "convergence.identifiability": ("x", "w", "c"),
}
