#!/usr/bin/env python3
"""Linear CKA in feature space, n = 100,000 and p = 256, against NumPy with OpenBLAS in float64 on one thread: same numbers,
and whose time?

    bench_cka.py PROGRAM [ROUNDS]     PROGRAM is bench_cka; runs it and NumPy by turns, prints the median ratio

The NumPy side is the same formula, biased and unbiased: centred columns, three products of p x n by n x p, the sums of the
unbiased form from squared norms of rows.  Exit status 0 if the results agree to 1e-12, else 1; a time is told, not asserted.
"""
import statistics
import subprocess
import sys
import tempfile
import time

import numpy

SAMPLES, P = 100000, 256
TARGET = 1.5


def hsic(x, y):
    """Biased (undivided) and unbiased HSIC of centred features."""
    n = len(x)
    c = x.T @ y
    dx, dy = numpy.einsum("ij,ij->i", x, x), numpy.einsum("ij,ij->i", y, y)
    square = numpy.vdot(c, c)
    sx, sy = x.sum(0), y.sum(0)
    trace = square - dx @ dy
    all_k, all_l = sx @ sx - dx.sum(), sy @ sy - dy.sum()
    cross = sx @ c @ sy - sx @ (x.T @ dy) - (dx @ y) @ sy + dx @ dy
    return square, (trace + all_k * all_l / ((n - 1) * (n - 2)) - 2 / (n - 2) * cross) / (n * (n - 3))


def cka(x, y):
    start = time.process_time()  # one thread: time on the processor, whoever else is busy
    x, y = x - x.mean(0), y - y.mean(0)
    xy, xx, yy = hsic(x, y), hsic(x, x), hsic(y, y)
    values = [xy[k] / numpy.sqrt(xx[k] * yy[k]) for k in range(2)]
    return time.process_time() - start, values


def main():
    program = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.NamedTemporaryFile(suffix=".raw") as file:
        subprocess.run([program, "1", file.name], check=True, stdout=subprocess.DEVNULL)
        flat = numpy.fromfile(file.name)
    size = SAMPLES * P
    x, y, ours_values = flat[:size].reshape(SAMPLES, P), flat[size:2 * size].reshape(SAMPLES, P), flat[2 * size:]
    _, values = cka(x, y)
    worst = max(abs(a - b) for a, b in zip(values, ours_values))
    agree = worst <= 1e-12
    print(f"linear CKA n={SAMPLES} p={P}, one thread, float64: biased {ours_values[0]:.6f}, debiased {ours_values[1]:.6f}; "
          f"from NumPy {numpy.__version__}: {worst:.1e} ({'agree' if agree else 'DISAGREE'})")
    ours_all, numpy_all, ratios = [], [], []
    for _ in range(rounds):
        ours = float(subprocess.run([program, "1"], check=True, capture_output=True, text=True).stdout)
        other = cka(x, y)[0]
        ours_all.append(ours)
        numpy_all.append(other)
        ratios.append(ours / other)
        print(f"  ours {ours:.3f} s, NumPy {other:.3f} s, ratio {ratios[-1]:.3f}")
    ratio = statistics.median(ratios)
    print(f"bench_cka: ours {statistics.median(ours_all):.3f} s, NumPy {statistics.median(numpy_all):.3f} s, "
          f"median ratio {ratio:.3f} (target <= {TARGET}): {'met' if ratio <= TARGET else 'missed'}")
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
