"""Gates: router logits, choices [T,K] and their weights [T,K] (G.1 to G.17)."""
from fractions import Fraction
import math

import torch
import torch.nn.functional as F

from numerics import matmul, mean, normalise, one_hot, places, relu, sigmoid, softmax, take, topk, unit, wide


def gate_weights(r, k, order):
    """The K experts with the largest logits r [T,N], and their weights [T,K]."""
    index = topk(r, k)
    if order == "topk-softmax":                                     # (G.2) softmax over the selected logits
        return index, softmax(take(r, index))
    if order == "softmax-topk":                                     # (G.3) softmax over all, as it is
        return index, take(softmax(r), index)
    return index, normalise(take(softmax(r), index))                # (G.4) softmax over all, renormalised


def weights(r, k, order):
    index, weight = gate_weights(r, k, order)
    return {"index": index, "weight": weight}


# --- the router's input or output disturbed (G.5, G.6) --------------------------------------------------------------

@wide
def jitter(x, noise, wr, br):
    """(G.5): r = Wr (x * noise) + br, the noise near 1."""
    return F.linear(x * noise, wr, br)


@wide
def noise_scale(x, wn, epsilon):
    """(G.6): softplus(Wn x) + epsilon."""
    return F.softplus(x @ wn.t(), threshold=40.0) + epsilon


@wide
def add_noise(clean, noise, std):
    return clean + noise * std


def noisy(x, wg, wn, noise, k, epsilon):
    """(G.6): the K largest of clean + noise * std, weighed by softmax over themselves."""
    clean = matmul(x, wg.t())
    std = noise_scale(x, wn, epsilon)
    disturbed = add_noise(clean, noise, std)
    index = topk(disturbed, k)
    return {"index": index, "weight": softmax(take(disturbed, index)), "clean": clean, "std": std, "noisy": disturbed}


# --- other weights (G.7 to G.10) ------------------------------------------------------------------------------------

def sigmoid_gate(r, k, normalise_):
    """(G.7): sigmoids of the selected logits, divided by their sum or not."""
    index = topk(r, k)
    weight = sigmoid(take(r, index))
    return {"index": index, "weight": normalise(weight) if normalise_ == "yes" else weight}


def dropout(x, wr, k):
    """(G.8): a frozen router; softmax over the selected."""
    r = matmul(x, wr.t())
    index = topk(r, k)
    return {"index": index, "weight": softmax(take(r, index)), "r": r}


def dropout_schedule(step, k_min, k_max, steps, rounding):
    """(G.9): k = round((k_max - k_min) t / steps) + k_min, t from 0 to steps, in whole numbers."""
    def k(t):
        rise = Fraction((k_max - k_min) * min(max(t, 0), steps), steps)
        if rounding == "even":
            return round(rise) + k_min                              # Python rounds halves of a fraction to even
        return int(math.copysign(1, rise)) * math.floor(abs(rise) + Fraction(1, 2)) + k_min
    return torch.tensor([k(t) for t in step.tolist()], dtype=torch.int64)


@wide
def two_shares(g):                                                  # [T,2] -> [T,2], rows that sum to 1
    return g / g.sum(-1, keepdim=True)


@wide
def shares_of_kept(g, kept):
    """g over the sum of the kept ones, 0 where none is kept."""
    v = g * kept
    whole = v.sum(-1, keepdim=True)
    return torch.where(whole > 0, v / torch.where(whole > 0, whole, torch.ones_like(whole)), torch.zeros_like(v))


def second_is_sent(share, u, policy, threshold):
    """(G.10): whether the second expert, whose share of the two is given [T], is asked at all."""
    share = share.detach().double()
    return {"random": 2 * share > u.double(), "threshold": share > threshold,
            "all": torch.ones_like(share, dtype=torch.bool), "none": torch.zeros_like(share, dtype=torch.bool)}[policy]


def within_capacity(index, sent, n, capacity):
    """(G.10): all first choices in the order of the tokens, then the second ones that are sent -> kept or not [T,2]."""
    second = torch.where(sent, index[:, 1], torch.full_like(index[:, 1], -1))
    place = places(torch.cat([index[:, 0], second]), n)
    kept = (place >= 0) & ((place < capacity) | (capacity == 0))
    return kept.reshape(2, -1).t()


def gshard(r, u, capacity, policy, threshold, normalise_):
    """(G.10): two experts, the second one perhaps, each with so many places."""
    index = topk(r, 2)
    g = take(softmax(r), index)
    share = two_shares(g)
    sent = second_is_sent(share[:, 1], u, policy, threshold)
    kept = within_capacity(index, sent, r.shape[-1], capacity).to(r.dtype)
    weight = share * kept if normalise_ == "before" else shares_of_kept(g, kept)
    return {"index": index, "weight": weight, "kept": kept}


# --- other logits (G.11 to G.13) ------------------------------------------------------------------------------------

@wide
def hyper_weights(v2, z):                                           # [N,d,g], [g] -> [N,d]
    return v2 @ z


def hyper(x, e, v1, v2):
    """(G.11): the router's weights are made from an embedding e by a frozen network."""
    z = relu(matmul(v1, e))
    return matmul(x, hyper_weights(v2, z).t())


@wide
def scaled_by(s, factor):
    return s * factor


def cosines(x, w, e, kind, norm):
    """(G.12): s_i = norm * cos(Wx, e_i), or with Wx as long as it is."""
    z = matmul(x, w.t())
    return scaled_by(matmul(unit(z) if kind == "normalised" else z, unit(e).t()), norm)


@wide
def over(s, tau):
    return s / tau


def xmoe(x, w, e, tau, k, gate, kind, norm):
    """(G.12): the K largest cosines, weighed by softmax over all or by sigmoid, at temperature tau."""
    s = cosines(x, w, e, kind, norm)
    index = topk(s, k)
    hot = over(s, tau)
    weight = take(softmax(hot), index) if gate == "softmax" else sigmoid(take(hot, index))
    return {"index": index, "weight": weight, "s": s}


@wide
def perturbed(x, beta, tau1, tau2):
    """(G.13): <beta_i, x> / ((|beta_i| + tau1) (|x| + tau2))."""
    of_expert = torch.linalg.vector_norm(beta, dim=-1) + tau1
    of_token = torch.linalg.vector_norm(x, dim=-1, keepdim=True) + tau2
    return x @ beta.t() / (of_expert * of_token)


# --- StableMoE (G.14, G.15) -----------------------------------------------------------------------------------------

def stable(x, e, shat, stage):
    """(G.14): one expert, chosen by the router's scores or by the distilled router's, weighed by sigmoid(x . e)."""
    s = matmul(x, e.t())
    index = topk(s if stage == "1" else shat, 1)
    return {"index": index, "weight": sigmoid(take(s, index)), "s": s}


@wide
def looked_up(table, ehat, token):                                  # [V,m], [N,m], [T] -> [T,N]
    return table[token] @ ehat.t()


@wide
def cross_entropy(s, target, reduction):
    return F.cross_entropy(s, target, reduction=reduction)


def stable_distill(token, table, ehat, target, reduction):
    """(G.15): - sum_t ln softmax(shat_t) at the target, where shat is read off a table by the token's number."""
    shat = looked_up(table, ehat, token)
    return {"loss": cross_entropy(shat, target, reduction), "shat": shat}


# --- DeepSeek-V3 (G.16) ---------------------------------------------------------------------------------------------

def inside_best_groups(b, groups, topk_groups):
    """(G.16): b [T,N] inside the groups with the largest sums of two, -2^100 outside."""
    grouped = b.detach().double().unflatten(-1, (groups, -1))       # [T,groups,N/groups]
    two = take(grouped, topk(grouped, 2)).sum(-1)
    best = one_hot(topk(two, topk_groups), groups).sum(-2) > 0      # [T,groups]
    return torch.where(best.unsqueeze(-1), grouped, torch.full_like(grouped, -2.0**100)).flatten(-2)


@wide
def routed(v, scale, normalise_):
    return (v / v.sum(-1, keepdim=True) if normalise_ == "yes" else v) * scale


def deepseek(x, e, bias, k, groups, topk_groups, route_scale, normalise_):
    """(G.16): chosen by s + bias inside the best groups, weighed by s alone."""
    s = sigmoid(matmul(x, e.t()))
    index = topk(inside_best_groups(s + bias, groups, topk_groups), k)
    return {"index": index, "weight": routed(take(s, index), route_scale, normalise_), "s": s}


# --- a diagnostic (G.17) --------------------------------------------------------------------------------------------

@wide
def row_entropy(p):
    return torch.special.entr(p).sum(-1)                            # - p ln p, 0 at 0


def entropy(r):
    """(G.17)"""
    h = row_entropy(softmax(r))
    return {"entropy": h, "mean": mean(h)}
