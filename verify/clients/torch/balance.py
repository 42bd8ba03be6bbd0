"""Balancing losses (B.1 to B.17)."""
import torch

from numerics import logsumexp, mean, mean_tokens, one_hot, sigmoid, softmax, take, topk, wide


# --- Switch: load times probability (B.1 to B.5) --------------------------------------------------------------------

def counts(index, n, count="all"):
    """(B.1): the number of choices index [...,T,K] that fell on each of n experts -> [...,n].  A constant."""
    return one_hot(index if count == "all" else index[..., :1], n).sum((-3, -2))


def expert_fraction(index, n, count, dtype):
    """(B.2): their share."""
    return (counts(index, n, count) / counts(index, n, count).sum(-1, keepdim=True)).to(dtype)


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


def in_groups(a, scope, size):
    """a [T,...] -> [groups,size,...]: (B.5) sequences or layers, one after the other, or the whole batch."""
    return a.unsqueeze(0) if scope == "batch" else a.unflatten(0, (-1, size))


@wide
def over_groups(loss, reduction):                                   # [groups] -> []
    return loss.mean() if reduction == "mean" else loss.sum()


# --- with padding and capacity (B.7, B.8) ---------------------------------------------------------------------------

@wide
def mean_of_real(p, real):
    """(B.7): the mean over the tokens that are no padding, real [...,T] of zeros and ones: p [...,T,N] -> [...,N]."""
    return (p * real.unsqueeze(-1)).sum(-2) / real.sum(-1, keepdim=True)


def real_counts(index, n, real, capacity):
    """(B.7): how many choices [...,T,K] of tokens that are no padding fell on each expert -> [...,n]; (B.8): of an
    expert's the first so many count."""
    line = (one_hot(index, n) * real.double()[..., None, None]).flatten(-3, -2)
    return (line * (line.cumsum(-2) <= capacity)).sum(-2) if capacity else line.sum(-2)


def real_fraction(index, n, real, divide, capacity):
    """(B.2) of the real tokens, over their choices or over their number."""
    divisor = real.double().sum(-1, keepdim=True) * (index.shape[-1] if divide == "choices" else 1)
    return (real_counts(index, n, real, capacity) / divisor).to(real.dtype)


def parts(logits, index, real, divide, capacity):
    """f and P of logits [...,T,N], choices [...,T,K] and real [...,T]."""
    f = real_fraction(index, logits.shape[-1], real, divide, capacity)
    return f, mean_of_real(softmax(logits), real)


def switch(r, mask, k, count, divide, scope, sequence, reduction, capacity):
    """(B.4), (B.5), (B.7), (B.8)"""
    index = topk(r, k)
    chosen = index if count == "all" else index[:, :1]
    real = torch.ones(len(r), dtype=r.dtype) if mask is None else mask
    if mask is None and capacity == 0 and divide == "choices":      # as it is written in (B.4)
        f, p = fraction_and_probability(r, index, count)
        losses = balance(in_groups(r, scope, sequence), in_groups(index, scope, sequence), count)
    else:
        f, p = parts(r, chosen, real, divide, capacity)
        groups = [in_groups(a, scope, sequence) for a in (r, chosen, real)]
        some = groups[2].sum(-1) > 0                                # groups that are all padding have no loss
        losses = switch_loss(*parts(*(a[some] for a in groups), divide, capacity))
    return {"loss": over_groups(losses, reduction), "fraction": f, "probability": p, "index": index}


def zloss(r):
    """(B.6): the mean over tokens of logsumexp(r_t)^2."""
    return mean(logsumexp(r) ** 2)


# --- squared coefficient of variation (B.9, B.10) -------------------------------------------------------------------

@wide
def cv_squared(v, variance, epsilon):
    """(B.9): Var / (mean^2 + epsilon) of v [N]."""
    return v.var(unbiased=variance == "unbiased") / (v.mean() ** 2 + epsilon)


@wide
def column_sums(g):                                                 # [T,N] -> [N]
    return g.sum(0)


def importance(g, variance, epsilon):
    """(B.9): of the experts' summed weights."""
    v = column_sums(g)
    return {"loss": cv_squared(v, variance, epsilon), "importance": v}


def threshold(noisy, k):
    """(B.10): what expert i has to exceed to be chosen [T,N]: the K-th largest of the others."""
    ordered = topk(noisy, k + 1)
    chosen = one_hot(ordered[:, :k], noisy.shape[-1]).sum(-2) > 0
    return torch.where(chosen, take(noisy, ordered[:, k:]), take(noisy, ordered[:, k - 1:k]))


@wide
def expected_load(clean, thr, std):
    """(B.10): sum_t Phi((clean - thr) / std) -> [N]."""
    return torch.special.ndtr((clean - thr) / std).sum(0)


def load(clean, noisy, std, k, variance, epsilon, detach):
    """(B.10): of how often each expert would be chosen if its own noise were drawn again."""
    tokens, n = noisy.shape
    if k == n:
        v = torch.full((n,), float(tokens), dtype=clean.dtype)
    else:
        thr = threshold(noisy, k)
        v = expected_load(clean, thr.detach() if detach == "yes" else thr, std)
    return {"loss": cv_squared(v, variance, epsilon), "load": v, "index": topk(noisy, k)}


# --- GShard, XMoE, StableMoE (B.11 to B.13) -------------------------------------------------------------------------

@wide
def fraction_times_mean(fraction, mean_p, factor):                  # factor sum_i f_i m_i
    return factor * (fraction * mean_p).sum()


def gshard(r, form, count, capacity):
    """(B.11): (1/N) sum_i (c_i/T) m_i, c of first choices; N^2 times that if scaled."""
    n = r.shape[-1]
    index = topk(r, 1)
    c = counts(index, n)
    if count == "after":
        c = c.clamp(max=capacity)
    factor = 1 / n if form == "paper" else n
    return {"loss": fraction_times_mean((c / len(r)).to(r.dtype), mean_probability(r), factor), "index": index}


@wide
def probability_at(s, tau0):                                        # softmax(s / tau0)
    return torch.softmax(s / tau0, -1)


def xmoe(s, tau0, count):
    """(B.12): (N/T) sum_i t_i sum_t softmax(s/tau0)_{t,i}, t the experts' share of the tokens or their number."""
    n = s.shape[-1]
    index = topk(s, 1)
    t = counts(index, n) / (len(s) if count == "fraction" else 1)
    return {"loss": fraction_times_mean(t.to(s.dtype), mean_tokens(probability_at(s, tau0)), n), "index": index}


@wide
def weighed_excess(gate, excess, alpha):                            # [T], [T] -> []
    return alpha * (gate * excess).sum()


def stable(s, alpha):
    """(B.13): alpha sum_i ((n_i - T/N) / (T/N)) sum of sigmoid(s_{t,i}) over the tokens t of expert i."""
    index = topk(s, 1)
    fair = len(s) / s.shape[-1]
    excess = (counts(index, s.shape[-1]) - fair) / fair             # [N], a constant
    gate = take(sigmoid(s), index).squeeze(-1)
    return {"loss": weighed_excess(gate, excess[index.squeeze(-1)].to(s.dtype), alpha), "index": index}


# --- entropy, DeepSeek (B.14 to B.16) -------------------------------------------------------------------------------

@wide
def negative_entropy(p):                                            # sum_i p ln p over the last dimension, 0 at 0
    return torch.where(p > 0, p * torch.log(torch.where(p > 0, p, torch.ones_like(p))), torch.zeros_like(p)).sum(-1)


def entropy(r, scope, sequence):
    """(B.14): sum_i P_i ln P_i of the mean probability."""
    return mean(negative_entropy(mean_probability(in_groups(r, scope, sequence))))


@wide
def mean_share(s):                                                  # [...,T,N] -> [...,N]
    return (s / s.sum(-1, keepdim=True)).mean(-2)


@wide
def scaled_mean(losses, alpha):
    return alpha * losses.mean()


@wide
def fraction_times(f, p):
    return (f * p).sum(-1)


def deepseek(s, bias, k, sequence, alpha):
    """(B.15): alpha times the mean over sequences of sum_i f_i P_i, f_i = N/(K T) choices, P of affinities."""
    n = s.shape[-1]
    index = topk(s + bias, k)
    scope = "sequence" if sequence else "batch"
    c = counts(in_groups(index, scope, sequence), n)                # [sequences,N]
    f = (c * n / c.sum(-1, keepdim=True)).to(s.dtype)
    return {"loss": scaled_mean(fraction_times(f, mean_share(in_groups(s, scope, sequence))), alpha), "index": index}


@wide
def moved_bias(bias, load, gamma):
    """(B.16): bias + gamma sign(mean load - load)."""
    return bias + gamma * torch.sign(load.mean() - load)


# --- global batch (B.17) --------------------------------------------------------------------------------------------

def micro_batches(r, k, micro, form):
    """(B.17): f of everything, of each micro-batch, or of all until then; P of each micro-batch."""
    n = r.shape[-1]
    index = topk(r, k)
    scope = "micro" if micro else "batch"
    c = counts(in_groups(index, scope, micro), n)                   # [micro-batches,N]
    if form == "global":
        c = c.sum(0, keepdim=True).expand_as(c)
    if form == "accumulated":
        c = c.cumsum(0)
    f = (c / c.sum(-1, keepdim=True)).to(r.dtype)
    return {"loss": mean(switch_loss(f, mean_probability(in_groups(r, scope, micro)))), "index": index}
