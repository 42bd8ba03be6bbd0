#!/usr/bin/env python3
"""RBF CKA, forward, and forward and backward, against PyTorch in float64 on one thread: same numbers, and whose time?

    bench_similarity.py PROGRAM [ROUNDS]     PROGRAM is bench_similarity; runs it and PyTorch by turns, prints median ratios

The PyTorch side is what one writes by hand, with each of torch.cdist's two ways: through a matrix product (its default at
this size: fast, and inexact where rows are close) and by differences.  The target is against the faster.  Large blocks
stay with the allocator (GLIBC_TUNABLES), or PyTorch's time would be mostly that of fresh pages.  Exit status 0 if the
results agree to 1e-9, else 1.
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy
import torch

N, P, SIGMA = 2048, 64, 8.0
REPEATS = 5  # runs of each side in a round
TARGET = 1.0
WAYS = {"product": "use_mm_for_euclid_dist_if_necessary", "differences": "donot_use_mm_for_euclid_dist"}
KEEP = "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=8589934592:glibc.malloc.top_pad=268435456"


def centred_gram(x, way):
    distance = torch.cdist(x, x, compute_mode=WAYS[way])
    gram = torch.exp(-distance.square() / (2 * SIGMA**2))
    row = gram.mean(0, keepdim=True)
    return gram - row - row.T + row.mean()


def cka(x, y, way):
    k, l = centred_gram(x, way), centred_gram(y, way)
    return (k * l).sum() / torch.sqrt((k * k).sum() * (l * l).sum())


def forward(x, y, way):
    start = time.process_time()  # one thread: time on the processor, whoever else is busy
    with torch.no_grad():
        value = cka(x, y, way)
    return time.process_time() - start, value


def both(x, y, way):
    x.grad = y.grad = None
    start = time.process_time()
    cka(x, y, way).backward()
    return time.process_time() - start


def read(path):
    flat = torch.from_numpy(numpy.fromfile(path))
    x, y, value, dx, dy = flat.split([N * P, N * P, 1, N * P, N * P])
    return [t.reshape(N, P).clone() for t in (x, y)], value, [t.reshape(N, P) for t in (dx, dy)]


def agreement(x, y, value, gradients):
    worst = 0.0
    for way in WAYS:
        both(x, y, way)
        worst = max(worst, abs(forward(x, y, way)[1].item() / value.item() - 1))
        for got, want in zip((x.grad, y.grad), gradients):
            worst = max(worst, ((got - want).abs().max() / want.abs().max()).item())
    return worst


def main():
    if "GLIBC_TUNABLES" not in os.environ:
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "GLIBC_TUNABLES": KEEP})
    program = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    torch.set_num_threads(1)
    with tempfile.NamedTemporaryFile(suffix=".raw") as file:
        subprocess.run([program, "1", file.name], check=True, stdout=subprocess.DEVNULL)
        (x, y), value, gradients = read(file.name)
    x.requires_grad_(True)
    y.requires_grad_(True)
    worst = agreement(x, y, value, gradients)
    agree = worst <= 1e-9
    print(f"similarity.cka, RBF, biased, n={N} p=q={P}, one thread, float64: {value.item():.6f}")
    print(f"largest difference of the value and the gradients from PyTorch {torch.__version__}: {worst:.1e} of the "
          f"largest element ({'agree' if agree else 'DISAGREE'})")

    ratios = {(what, way): [] for what in ("forward", "forward and backward") for way in WAYS}
    for _ in range(rounds):
        told = subprocess.run([program, str(REPEATS)], check=True, capture_output=True, text=True).stdout
        ours = dict(zip(("forward", "forward and backward"), map(float, told.split())))
        for way in WAYS:
            both(x, y, way)  # warm up, as the program does
            theirs = {"forward": statistics.median(forward(x, y, way)[0] for _ in range(REPEATS)),
                      "forward and backward": statistics.median(both(x, y, way) for _ in range(REPEATS))}
            for what in ours:
                ratios[what, way].append(ours[what] / theirs[what])
                print(f"  {what}: ours {ours[what]:.4f} s, PyTorch by {way} {theirs[what]:.4f} s, "
                      f"ratio {ratios[what, way][-1]:.3f}")
    for what in ("forward", "forward and backward"):
        median = {way: statistics.median(ratios[what, way]) for way in WAYS}
        met = max(median.values()) <= TARGET
        print(f"bench_similarity: {what}, median ratio {median['product']:.3f} to cdist by product, "
              f"{median['differences']:.3f} by differences (target <= {TARGET}): {'met' if met else 'missed'}")
    return 0 if agree else 1  # a time is told, not asserted


if __name__ == "__main__":
    sys.exit(main())
