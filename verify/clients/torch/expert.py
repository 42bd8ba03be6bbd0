"""Experts (E.1 to E.5)."""
import torch.nn.functional as F

from numerics import gelu, matmul, relu, silu, wide


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


def expert_keyvalue(x, keys, values):
    """(E.5): ReLU(x keys) values."""
    return matmul(relu(matmul(x, keys)), values)
