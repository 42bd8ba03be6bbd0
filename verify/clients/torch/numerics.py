"""Numerics (N.10 to N.25), and what every chapter needs: arithmetic of 16-bit formats, selection, counting."""
import functools
import math

import torch
import torch.nn.functional as F


def wide(f):
    """f in float32 arithmetic when its tensors are stored in 16 bits; the result is rounded to their format again."""
    @functools.wraps(f)
    def g(first, *rest):
        if first.dtype not in (torch.bfloat16, torch.float16):
            return f(first, *rest)
        rest = [a.float() if torch.is_tensor(a) and a.is_floating_point() else a for a in rest]
        return f(first.float(), *rest).to(first.dtype)
    return g


# --- functions of one variable (N.14 to N.21) -----------------------------------------------------------------------

exp = wide(torch.exp)                                               # (N.14) this one and the next six
expm1 = wide(torch.expm1)
log = wide(torch.log)
log1p = wide(torch.log1p)
tanh = wide(torch.tanh)
erf = wide(torch.erf)
erfc = wide(torch.erfc)
sigmoid = wide(torch.sigmoid)                                       # (N.15)
silu = wide(F.silu)                                                 # (N.17)
relu = wide(torch.relu)
normal_cdf = wide(torch.special.ndtr)                               # (N.20)


@wide
def softplus(x):                                                    # (N.16) ln(1 + e^x)
    # PyTorch replaces ln(1 + e^x) by x above a threshold.  Its default, 20, costs 2e-9; at 40 the difference is 4e-18.
    return F.softplus(x, threshold=40.0)


@wide
def gelu(x, approximate="none"):                                    # (N.18), (N.19)
    return F.gelu(x, approximate=approximate)


@wide
def normal_pdf(x):                                                  # (N.21)
    return torch.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


# --- sums, products, means (N.10 to N.13) ---------------------------------------------------------------------------

total = wide(torch.sum)                                             # (N.10)
dot = wide(torch.dot)                                               # (N.11)


@wide
def axpy(a, x, y):                                                  # (N.12)
    return a * x + y


@wide
def matmul(a, b):                                                   # (N.13)
    return a @ b


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
def weighted_sum(terms, coefficients):                              # [n] and n numbers -> []
    return (terms * torch.tensor(coefficients, dtype=terms.dtype)).sum()


# --- rows (N.22 to N.24) --------------------------------------------------------------------------------------------

@wide
def softmax(z):                                                     # (N.22) over the last dimension
    return torch.softmax(z, -1)


@wide
def logsumexp(z):                                                   # (N.23)
    return torch.logsumexp(z, -1)


@wide
def norm(x):                                                        # (N.24) over the last dimension; gradient 0 at 0
    return torch.linalg.vector_norm(x, dim=-1)


@wide
def normalise(v):                                                   # over the last dimension: divided by its sum
    return v / v.sum(-1, keepdim=True)


@wide
def unit(o):
    """o / |o| over the last dimension; a zero row stays zero and passes no gradient."""
    length = torch.linalg.vector_norm(o, dim=-1, keepdim=True)
    return torch.where(length > 0, o / torch.where(length > 0, length, torch.ones_like(length)), torch.zeros_like(o))


# --- selection (N.25) -----------------------------------------------------------------------------------------------

def topk(s, k):
    """(N.25) The K largest of each row [...,N] -> [...,K]: by value, and the lower index first among equals.

    torch.topk leaves ties open; a stable sort does not."""
    return torch.sort(s.detach().double(), dim=-1, descending=True, stable=True).indices[..., :k]


def take(s, index):
    """s [...,N] at index [...,K] -> [...,K]."""
    return torch.gather(s, -1, index)


def one_hot(index, n):
    """index [...] -> [...,n] of zeros and ones in float64, where counts are exact."""
    return F.one_hot(index, n).double()


def places(queue, n):
    """The place [A] of each entry of a queue [A] of expert numbers below n in the line before its expert, from 0 on.
    An entry of -1 waits for nobody; its place is -1."""
    waiting = queue >= 0
    line = one_hot(queue.clamp(min=0), n) * waiting.unsqueeze(-1)
    place = (line.cumsum(0) - line).gather(1, queue.clamp(min=0).unsqueeze(-1)).squeeze(-1).long()
    return torch.where(waiting, place, torch.full_like(place, -1))
