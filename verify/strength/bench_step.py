#!/usr/bin/env python3
"""Whole training steps (C.14), forward and all gradients, against PyTorch in float64 on one thread: same numbers, and
whose time?

    bench_step.py PROGRAM [ROUNDS]     PROGRAM is bench_step; runs it and PyTorch by turns, prints the median ratios

The PyTorch side is what one writes by hand: all experts by two batched products, autograd for the rest.  Exit status 0
if loss and gradients agree to 1e-10, else 1; a time is told, not asserted.  Memory is the largest of the whole process
(ours), next to what inputs, outputs and gradients alone take.
"""
import statistics
import subprocess
import sys
import tempfile
import time

import numpy
import torch
import torch.nn.functional as F

T, D, H, N, K = 1024, 256, 1024, 8, 2
SHAPES = {"x": (T, D), "wr": (N, D), "br": (N,), "w1": (N, H, D), "b1": (N, H), "w2": (N, D, H), "b2": (N, D)}
# kind, tokens at a time (0: all), target ratio (version 2: correctly rounded softplus of T N d numbers), name
ROWS = [("v2", 0, 2.0, "version 2, competition"), ("v1", 0, 1.0, "version 1, competition"),
        ("router", 0, 1.0, "version 2, router"),
        ("v2", 256, None, "version 2, 256 at a time"), ("v1", 256, None, "version 1, 256 at a time"),
        ("v1", 64, None, "version 1, 64 at a time")]
REPEATS = 3  # runs of each side in a round


def balance(scores, index):
    """(B.4) on softmax(scores), f from all choices."""
    f = torch.bincount(index.flatten(), minlength=N).double() / index.numel()
    return N * (f * torch.softmax(scores, 1).mean(0)).sum()


def experts(x, w1, b1, w2, b2):
    """Every expert on every token: [T,N,d]."""
    u = torch.relu(torch.baddbmm(b1[:, None], x.expand(N, T, D), w1.transpose(1, 2)))
    return torch.baddbmm(b2[:, None], u, w2.transpose(1, 2)).transpose(0, 1)


def compete(first, x, wr, br, w1, b1, w2, b2, target):
    o = experts(x, w1, b1, w2, b2)
    r = x @ wr.T + br
    s = torch.linalg.vector_norm(o, dim=2) if first else F.softplus(o, threshold=40.0).mean(2)
    value, index = torch.topk(s, K, dim=1)
    weight = torch.softmax(value, 1) if first else value / value.sum(1, keepdim=True)
    won = o.gather(1, index[:, :, None].expand(T, K, D))
    y = (weight[:, :, None] * won).sum(1)
    p, losses = torch.softmax(r, 1), []
    if first:
        q = torch.zeros_like(p).scatter(1, index, torch.softmax(value, 1)).detach()
        losses = [((p - q) ** 2).mean()]
    else:
        square = (p - torch.softmax(s, 1).detach()) ** 2
        unit = F.normalize(won, dim=2)
        gram = unit @ unit.transpose(1, 2)
        pairs = gram.sum((1, 2)) - gram.diagonal(dim1=1, dim2=2).sum(1)
        losses = [square.mean() + 0.125 * square.gather(1, index).mean(), pairs.mean() / (K * (K - 1))]
    losses.append(balance(s, index))
    return ((y - target) ** 2).mean() + 0.01 * sum(losses)


def router(x, wr, br, w1, b1, w2, b2, target):
    r = x @ wr.T + br
    value, index = torch.topk(r, K, dim=1)
    weight = torch.softmax(value, dim=1)
    y = torch.zeros_like(x)
    for i in range(N):
        token, choice = torch.where(index == i)
        o = torch.relu(x[token] @ w1[i].T + b1[i]) @ w2[i].T + b2[i]
        y = y.index_add(0, token, weight[token, choice, None] * o)
    zloss = (torch.logsumexp(r, 1) ** 2).mean()
    return ((y - target) ** 2).mean() + 0.01 * balance(r, index) + 0.001 * zloss


def step(kind, q, target):
    for t in q.values():
        t.grad = None
    start = time.process_time()  # one thread: time on the processor, whoever else is busy
    loss = router(**q, target=target) if kind == "router" else compete(kind == "v1", **q, target=target)
    loss.backward()
    return time.process_time() - start, loss.item()


def read(path):
    flat = numpy.fromfile(path)
    parts, at = [], 0
    for shape in [*SHAPES.values(), (T, D), (), *SHAPES.values()]:
        n = int(numpy.prod(shape))
        parts.append(torch.from_numpy(flat[at:at + n].reshape(shape).copy()))
        at += n
    assert at == flat.size, "the program's file has another size"
    m = len(SHAPES)
    return dict(zip(SHAPES, parts[:m])), parts[m], parts[m + 1].item(), dict(zip(SHAPES, parts[m + 2:]))


def bench(program, kind, chunk, target_ratio, name, rounds):
    with tempfile.NamedTemporaryFile(suffix=".raw") as file:
        subprocess.run([program, kind, str(chunk), "1", file.name], check=True, stdout=subprocess.DEVNULL)
        q, target, loss, g = read(file.name)
    for t in q.values():
        t.requires_grad_(True)
    _, theirs = step(kind, q, target)
    worst = max([abs(theirs - loss) / abs(loss)] +
                [((t.grad - g[name]).abs().max() / g[name].abs().max()).item() for name, t in q.items()])
    ours_all, torch_all, ratios = [], [], []
    for _ in range(rounds):
        printed = subprocess.run([program, kind, str(chunk), str(REPEATS)], check=True, capture_output=True, text=True)
        ours, memory, given = (float(x) for x in printed.stdout.split())
        step(kind, q, target)  # warm up, as the program does
        other = statistics.median(step(kind, q, target)[0] for _ in range(REPEATS))
        ours_all.append(ours)
        torch_all.append(other)
        ratios.append(ours / other)
    ratio = statistics.median(ratios)
    agree = worst <= 1e-10
    verdict = "" if target_ratio is None else "met" if ratio <= target_ratio else "missed"
    print(f"{name:25} {statistics.median(ours_all):8.3f} {statistics.median(torch_all):11.3f} {ratio:7.3f} "
          f"{target_ratio or '':>7} {verdict:7} {memory:7.0f} {given:7.0f} {worst:9.1e} {'agree' if agree else 'DISAGREE'}",
          flush=True)
    return agree


def main():
    program = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    torch.set_num_threads(1)
    print(f"a training step, forward and backward: T={T} d={D} h={H} N={N} K={K}, one thread, PyTorch {torch.__version__}")
    print(f"{'step':25} {'ours, s':>8} {'PyTorch, s':>11} {'ratio':>7} {'target':>7} {'':7} {'MiB':>7} {'of them':>7} {'differ':>9}")
    results = [bench(program, *row, rounds) for row in ROWS]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
