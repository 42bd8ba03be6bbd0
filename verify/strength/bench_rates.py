#!/usr/bin/env python3
"""The fits of `smoeref rates exact` against SciPy's L-BFGS-B: same data, same starts, whose maximum and whose time?

    bench_rates.py PROGRAM [REPEATS]     PROGRAM is bench_rates; REPEATS data sets of each size (default 2)

The SciPy side is what one writes by hand: NumPy over all samples at once, analytic gradient, ln nu for nu, default
options.  Both run in one process on one core, and CPU time is counted, not the clock's.  Also: our time for n, as a
power of n.  Exit status 0 if our log-likelihood n L is nowhere more than 0.01 below SciPy's; a time is told, not
asserted.
"""
import subprocess
import sys
import tempfile
import time

import numpy as np
from scipy.optimize import minimize


def nll(flat, gate, x, y):
    """Minus the mean log-likelihood and its gradient; columns of theta: a, b, ln nu, then beta0, beta1 for softmax."""
    theta = flat.reshape(2, -1)
    a, b, lognu = theta[:, 0], theta[:, 1], theta[:, 2]
    h = np.outer(x, a) + b
    if gate == "softmax":
        score, slope = np.outer(x, theta[:, 4]) + theta[:, 3], None
    elif gate == "norm":
        score, slope = np.abs(h), np.sign(h)
    else:
        s = np.logaddexp(0, h)
        score, slope = np.log(s), 1 / (1 + np.exp(-h)) / s
    top = score.max(1, keepdims=True)
    logpi = score - top - np.log(np.exp(score - top).sum(1, keepdims=True))
    r, nu = y[:, None] - h, np.exp(lognu)
    log = logpi - 0.5 * (np.log(2 * np.pi) + lognu + r * r / nu)
    top = log.max(1, keepdims=True)
    e = np.exp(log - top)
    total = e.sum(1, keepdims=True)
    q = e / total
    dscore, dh = q - np.exp(logpi), q * r / nu
    if slope is not None:
        dh = dh + dscore * slope
    g = np.empty_like(theta)
    g[:, 0], g[:, 1], g[:, 2] = x @ dh, dh.sum(0), (q * 0.5 * (r * r / nu - 1)).sum(0)
    if gate == "softmax":
        g[:, 3], g[:, 4] = dscore.sum(0), x @ dscore
    return -(top + np.log(total)).mean(), -g.ravel() / len(x)


def main():
    program, repeats = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "2"
    ours, theirs, work, sizes = {}, {}, {}, {}
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        out = subprocess.run([program, folder, repeats], check=True, capture_output=True, text=True).stdout
        for line in out.splitlines():
            number, gate, n, loglik, evaluations, seconds = line.split()
            n = int(n)
            data = np.fromfile(f"{folder}/{number}.f64")
            x, y, start = data[:n].copy(), data[n:2 * n].copy(), data[2 * n:].reshape(2, -1).copy()
            start[:, 2] = np.log(start[:, 2])
            began = time.process_time()
            fit = minimize(nll, start.ravel(), args=(gate, x, y), jac=True, method="L-BFGS-B")
            theirs[gate] = theirs.get(gate, 0) + time.process_time() - began
            ours[gate] = ours.get(gate, 0) + float(seconds)
            mine, scipys = work.get(gate, (0, 0))
            work[gate] = (mine + int(evaluations) * n, scipys + fit.nfev * n)
            sizes.setdefault(n, []).append(float(seconds))
            worst = max(worst, n * (-fit.fun - float(loglik)))
    print("fits of rates exact, CPU seconds on one core (evaluations, weighted by n)")
    for gate in ours:
        share = work[gate][0] / work[gate][1]
        print(f"  {gate:10} smoeref {ours[gate]:7.2f}   SciPy L-BFGS-B {theirs[gate]:7.2f}   "
              f"SciPy / smoeref {theirs[gate] / ours[gate]:5.2f}   evaluations {share:.2f} of SciPy's")
    print(f"  {'all':10} smoeref {sum(ours.values()):7.2f}   SciPy L-BFGS-B {sum(theirs.values()):7.2f}   "
          f"SciPy / smoeref {sum(theirs.values()) / sum(ours.values()):5.2f}")
    n = np.array(sorted(sizes))
    power = np.polyfit(np.log(n[2:]), np.log([np.mean(sizes[m]) for m in n[2:]]), 1)[0]
    print(f"  our time grows as n^{power:.2f} from n = {n[2]} on; the most that n L lies below SciPy's: {worst:.1e}")
    return 0 if worst <= 0.01 else 1


sys.exit(main())
