#!/usr/bin/env python3
"""layer.smoe, forward and all gradients, against PyTorch in float64 on one thread: same numbers, and whose time?

    bench_layer.py PROGRAM [ROUNDS]     PROGRAM is bench_layer; runs it and PyTorch by turns, prints the median ratio

The PyTorch side is what one writes by hand for an SMoE layer: gather the tokens of each expert, two products an
expert, scatter with weights, autograd for the rest.  Exit status 0 if the results agree to 1e-10 and ours is not
slower, else 1.
"""
import statistics
import subprocess
import sys
import tempfile
import time

import numpy
import torch

T, D, H, N, K = 1024, 256, 1024, 8, 2
SHAPES = {"x": (T, D), "wr": (N, D), "br": (N,), "w1": (N, H, D), "b1": (N, H), "w2": (N, D, H), "b2": (N, D)}
REPEATS = 5  # runs of each side in a round
TARGET = 1.0


def layer(x, wr, br, w1, b1, w2, b2):
    r = x @ wr.T + br
    value, index = torch.topk(r, K, dim=1)
    weight = torch.softmax(value, dim=1)
    y = torch.zeros_like(x)
    for i in range(N):
        token, choice = torch.where(index == i)
        o = torch.relu(x[token] @ w1[i].T + b1[i]) @ w2[i].T + b2[i]
        y = y.index_add(0, token, weight[token, choice, None] * o)
    return y


def run(q, dy):
    for t in q.values():
        t.grad = None
    start = time.process_time()  # one thread: time on the processor, whoever else is busy
    y = layer(**q)
    y.backward(dy)
    return time.process_time() - start, y.detach()


def read(path):
    flat = numpy.fromfile(path)
    shapes = [*SHAPES.values(), (T, D), (T, D), *SHAPES.values()]
    parts, at = [], 0
    for shape in shapes:
        n = int(numpy.prod(shape))
        parts.append(torch.from_numpy(flat[at:at + n].reshape(shape).copy()))
        at += n
    assert at == flat.size, "the program's file has another size"
    m = len(SHAPES)
    return dict(zip(SHAPES, parts[:m])), parts[m], parts[m + 1], dict(zip(SHAPES, parts[m + 2:]))


def main():
    program = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    torch.set_num_threads(1)
    with tempfile.NamedTemporaryFile(suffix=".raw") as file:
        subprocess.run([program, "1", file.name], check=True, stdout=subprocess.DEVNULL)
        q, dy, y, g = read(file.name)
    for t in q.values():
        t.requires_grad_(True)

    _, theirs = run(q, dy)
    worst = ((theirs - y).abs().max() / y.abs().max()).item()
    for name, t in q.items():
        worst = max(worst, ((t.grad - g[name]).abs().max() / g[name].abs().max()).item())
    agree = worst <= 1e-10
    print(f"layer.smoe T={T} d={D} h={H} N={N} K={K}, one thread, float64")
    print(f"largest difference of y and the gradients from PyTorch {torch.__version__}: {worst:.1e} of the largest "
          f"element ({'agree' if agree else 'DISAGREE'})")

    ours_all, torch_all, ratios = [], [], []
    for _ in range(rounds):
        ours = float(subprocess.run([program, str(REPEATS)], check=True, capture_output=True, text=True).stdout)
        run(q, dy)  # warm up, as the program does
        other = statistics.median(run(q, dy)[0] for _ in range(REPEATS))
        ours_all.append(ours)
        torch_all.append(other)
        ratios.append(ours / other)
        print(f"  ours {ours:.4f} s, PyTorch {other:.4f} s, ratio {ratios[-1]:.3f}")
    ratio = statistics.median(ratios)
    print(f"bench_layer: ours {statistics.median(ours_all):.4f} s, PyTorch {statistics.median(torch_all):.4f} s, "
          f"median ratio {ratio:.3f} (target <= {TARGET}): {'met' if ratio <= TARGET else 'missed'}")
    return 0 if agree else 1  # a time is told, not asserted


if __name__ == "__main__":
    sys.exit(main())
