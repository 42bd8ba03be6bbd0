#!/usr/bin/env python3
"""Gradients three ways: the reference's hand-derived vjps, the formulas that Coq proves, and autograd of the PyTorch client.

    make gradients           (or: gradients.py ROOT SMOEREF [--break])

Each row is a theorem of verify/proofs/coq, whose formula stands here in NumPy, a step of the chain rule around it where the operation has
more than the theorem.  The text of the formula is compared with the .v file, so that neither can change alone.  All three are evaluated on the
same cases (core suite, seeds 1 to 3, binary64; in the crafted cases autograd loses more, as its routes cancel); the columns have the largest difference of two of them, relative to
the largest element of the gradient; gradients that cancel, whose binary64 bound is more than 2^-26 of them, are left out.  More than 1e-9 fails: rounding was seen up to 1e-12, a wrong formula is off by its own size.
--break drops a factor 2 from one formula: the run must then fail.
"""
import json
import math
import pathlib
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import numpy as np  # noqa: E402

ROOT = pathlib.Path(sys.argv[1])
SMOEREF = sys.argv[2]
BREAK = "--break" in sys.argv
sys.path[:0] = [str(ROOT / "verify/clients"), str(ROOT / "verify/clients/torch")]
import client  # noqa: E402  PyTorch
import smoeref_io  # noqa: E402
import torch  # noqa: E402

LIMIT = 1e-9


# --- the definitions of the .v files ---------------------------------------------------------------------------------

def sigmoid(z):
    e = np.exp(-abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def phi(x):
    return np.exp(-(x * x / 2)) / math.sqrt(2 * math.pi)


Phi = np.vectorize(lambda x: math.erfc(-x / math.sqrt(2)) / 2, otypes=[float])


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))  # softmax_shift
    return e / e.sum(-1, keepdims=True)


def logsumexp(z):
    m = z.max(-1, keepdims=True)
    return m[..., 0] + np.log(np.exp(z - m).sum(-1))  # logsumexp_shift


def norm(x):
    m = np.abs(x).max(-1, keepdims=True) + (np.abs(x).max(-1, keepdims=True) == 0)
    return m[..., 0] * np.sqrt((x / m * (x / m)).sum(-1))


def inner(a, b):
    return (a * b).sum(-1, keepdims=True)


def softmax_vjp(z, dp):
    p = softmax(z)
    return p * (dp - inner(p, dp))


# --- theorem, its formula as the .v file has it, operation, which of its cases, and the formula in NumPy -------------
# A function is given the case: inputs, cotangents and golden answer by name, and the parameters.

def entry(file, theorem, formula, op, where, gradient):
    return dict(file=file, theorem=theorem, formula=formula, op=op, where=where, gradient=gradient)


def pointwise(file, theorem, formula, op, slope, where=lambda p: True):
    return entry(file, theorem, formula, op, where, lambda t, p: {"d_x": t["d_y"] * slope(t["x"], p)})


def gelu_tanh_slope(x, p):
    c, root = 0.044715, math.sqrt(2 / math.pi)
    v = 2 * root * (x + c * x * x * x)
    return sigmoid(v) * (1 + x * sigmoid(-v) * (2 * root * (1 + 3 * c * (x * x))))


def mean_probability(r):
    return softmax(r).mean(0)


def switch_gradient(t, p):
    r, (T, n) = t["r"], t["r"].shape
    f = t["fraction"]
    return {"d_r": t["d_loss"] * n / T * (softmax(r) * (f - inner(softmax(r), f)))}


def zloss_gradient(t, p):
    r = t["r"]
    return {"d_r": t["d_loss"] * (1 if BREAK else 2) * logsumexp(r)[:, None] / len(r) * softmax(r)}


def cv2_gradient(t, p):  # and the sum over tokens before it
    v = t["g"].sum(0)
    n = len(v)
    nn = n if p["variance"] == "population" else n - 1
    m = v.mean()
    D = m * m + float(p["epsilon"])
    variance = ((v - m) ** 2).sum() / nn
    dv = 2 / (nn * D) * (v - m) - variance / D * (2 * m / (n * D))
    return {"d_g": np.broadcast_to(t["d_loss"] * dv, t["g"].shape) + t.get("d_importance", 0)}


def entropy_gradient(t, p):
    r = t["r"]
    lnP = np.log(mean_probability(r))
    return {"d_r": t["d_loss"] * softmax(r) * (lnP - inner(softmax(r), lnP)) / len(r)}


def distill_parts(t, p):  # a, b and m of the theorem: both means of (C.4)
    r, s = t["r"], t["s"]
    T, n = r.shape
    k = int(p["k"])
    winners = np.zeros((T, n))
    np.put_along_axis(winners, t["index"].astype(int), 1, -1)
    a = 0 if p["terms"] == "winners" else 1 / (T * n)
    b = 0 if p["terms"] == "all" else float(p["theta"]) / (T * k)
    u, q = softmax(r), softmax(s)
    return u, q, 2 * a * (u - q) + winners * (2 * b * (u - q))


def distill_gradient(t, p):
    u, q, dp = distill_parts(t, p)
    result = {"d_r": t["d_loss"] * (u * (dp - inner(u, dp)))}
    if p["detach"] == "no":
        dq = -dp
        result["d_s"] = t["d_loss"] * (q * (dq - inner(q, dq)))
    return result


def kl_gradient(t, p):  # q is a softmax over the winners, 0 elsewhere; the mean over tokens
    r = t["r"]
    index = t["index"].astype(int)
    q = np.zeros(r.shape)
    np.put_along_axis(q, index, softmax(np.take_along_axis(t["s"], index, -1)), -1)
    return {"d_r": t["d_loss"] * (softmax(r) - q) / len(r)}


def diversity_gradient(t, p):
    o = t["o"]
    T, k, d = o.shape
    u = o / norm(o)[..., None]
    others = u.sum(1, keepdims=True) - u
    return {"d_o": t["d_loss"] / T * 2 / (k * (k - 1)) * ((others - inner(u, others) * u) / norm(o)[..., None])}


def cosine_gradient(t, p):
    x, y = t["x"], t["y"]
    u, v = x / norm(x)[:, None], y / norm(y)[:, None]
    d = t["d_value"] / len(x)  # the mean over rows
    return {"d_x": d * (v - inner(u, v) * u) / norm(x)[:, None], "d_y": d * (u - inner(u, v) * v) / norm(y)[:, None]}


def centre(K):
    H = np.eye(len(K)) - 1 / len(K)
    return H @ K @ H


def cka_gradient(t, p):  # and K = x x^T before it: a symmetric slope S of K is 2 S x of x
    def slope(A, B):
        aa, bb, ab = (A * A).sum(), (B * B).sum(), (A * B).sum()
        return B / math.sqrt(aa * bb) - ab / math.sqrt(aa * bb) / aa * A
    x, y = t["x"], t["y"]
    K, L = centre(x @ x.T), centre(y @ y.T)
    return {"d_x": t["d_cka"] * 2 * slope(K, L) @ x, "d_y": t["d_cka"] * 2 * slope(L, K) @ y}


TABLE = [
    pointwise("Scalar", "sigmoid_derivative", "is_derive sigmoid z (sigmoid z * sigmoid (- z))", "numerics.sigmoid",
              lambda z, p: sigmoid(z) * sigmoid(-z)),
    pointwise("Scalar", "softplus_derivative", "is_derive softplus z (sigmoid z)", "numerics.softplus", lambda z, p: sigmoid(z)),
    pointwise("Scalar", "silu_derivative", "is_derive silu z (sigmoid z * (1 + z * sigmoid (- z)))", "numerics.silu",
              lambda z, p: sigmoid(z) * (1 + z * sigmoid(-z))),
    pointwise("Scalar", "tanh_derivative", "is_derive tanh x (4 * sigmoid (2 * x) * sigmoid (- (2 * x)))", "numerics.tanh",
              lambda x, p: 4 * sigmoid(2 * x) * sigmoid(-(2 * x))),
    pointwise("Scalar", "phi_derivative", "is_derive phi x (- x * phi x)", "numerics.normal_pdf", lambda x, p: -x * phi(x)),
    pointwise("Scalar", "Phi_derivative", "is_derive Phi x (phi x)", "numerics.normal_cdf", lambda x, p: phi(x)),
    pointwise("Scalar", "gelu_derivative", "is_derive gelu x (Phi x + x * phi x)", "numerics.gelu",
              lambda x, p: Phi(x) + x * phi(x), lambda p: p["approximate"] == "none"),
    pointwise("Scalar", "gelu_tanh_derivative",
              "is_derive (gelu_tanh c) x (sigmoid v * (1 + x * sigmoid (- v) * (2 * sqrt (2 / PI) * (1 + 3 * c * (x * x)))))",
              "numerics.gelu", gelu_tanh_slope, lambda p: p["approximate"] == "tanh"),
    entry("Softmax", "softmax_vjp", "(fun j => softmax n z j * (dp j - dot n (softmax n z) dp))", "numerics.softmax",
          lambda p: True, lambda t, p: {"d_z": softmax_vjp(t["z"], t["d_p"])}),
    entry("Softmax", "logsumexp_gradient", "grad n (logsumexp n) z (softmax n z)", "numerics.logsumexp",
          lambda p: True, lambda t, p: {"d_z": t["d_lse"][:, None] * softmax(t["z"])}),
    entry("Norm", "norm_gradient", "grad n (norm n) x (direction n x)", "numerics.norm", lambda p: True,
          lambda t, p: {"d_x": t["d_norm"][:, None] * t["x"] / norm(t["x"])[:, None]}),
    entry("Norm", "cosine_gradient", "(direction n y i - dot n (direction n x) (direction n y) * direction n x i) / norm n x",
          "similarity.cosine", lambda p: p["form"] == "cosine", cosine_gradient),
    entry("Balance", "switch_gradient", "INR n / INR T * (softmax n (r t) i * (f i - dot n (softmax n (r t)) f))", "balance.switch",
          lambda p: p["scope"] == "batch" and not p["mask"], switch_gradient),
    entry("Balance", "zloss_gradient", "2 * logsumexp n (r t) / INR T * softmax n (r t) i", "balance.zloss", lambda p: True,
          zloss_gradient),
    entry("Balance", "cv2_gradient", "2 / (nn * D) * (v i - m) - variance n nn v / D * (2 * m / (INR n * D))", "balance.importance",
          lambda p: True, cv2_gradient),
    entry("Balance", "entropy_gradient", "softmax n (r t) i * (ln (P i) - dot n (softmax n (r t)) (fun l => ln (P l))) / INR T",
          "balance.entropy", lambda p: p["scope"] == "batch", entropy_gradient),
    entry("Compete", "response_gradient", "(fun e => / INR d * sigmoid (o e))", "compete.response",
          lambda p: p["kind"] == "softplus", lambda t, p: {"d_o": t["d_s"][..., None] / t["o"].shape[-1] * sigmoid(t["o"])}),
    entry("Compete", "distill_gradient", "grad n (fun y => squares n a b m (softmax n y) q) r (fun i => p i * (dp i - dot n p dp))",
          "compete.distill", lambda p: p["version"] == "2" and p["detach"] == "yes", distill_gradient),
    entry("Compete", "distill_gradient_target",
          "grad n (fun y => squares n a b m p (softmax n y)) s (fun i => q i * (dq i - dot n q dq))", "compete.distill",
          lambda p: p["version"] == "2" and p["detach"] == "no", distill_gradient),
    entry("Compete", "kl_gradient", "r (fun i => softmax n r i - q i)", "compete.distill",
          lambda p: p["version"] == "1" and p["loss"] == "kl" and p["detach"] == "yes", kl_gradient),
    entry("Compete", "diversity_gradient", "((others k d o i e - dot d (direction d (o i)) (others k d o i) * direction d (o i) e) / norm d (o i))",
          "compete.diversity", lambda p: p["mean"] == "pairs", diversity_gradient),
    entry("Cka", "cka_gradient", "(alignment_slope n (centre n K) (centre n L))", "similarity.cka",
          lambda p: p["kernel"] == "linear" and p["estimator"] == "biased", cka_gradient),
]


def cases(folder, op):
    """(parameters, inputs and cotangents, golden answer) of every case."""
    for prompt in sorted(folder.glob("*.prompt.safetensors")):
        given, metadata = smoeref_io.read(prompt)
        golden, _ = smoeref_io.read(str(prompt).replace(".prompt.", ".expected."))
        parameters = json.loads(metadata["parameters"])
        words = {name: v if isinstance(v, str) else format(v) for name, v in parameters.items()}
        words["mask"] = "mask" in given and not given["mask"].all()
        yield parameters, words, given, golden


def difference(a, b):
    """The largest difference relative to the largest element."""
    size = max(np.abs(a).max(), np.abs(b).max())
    return float(np.abs(a - b).max() / size)


def main():
    failed = False
    print(f"{'theorem':32} {'operation':22} {'cases':>5} {'ours, Coq':>10} {'ours, auto':>10} {'Coq, auto':>10}")
    with tempfile.TemporaryDirectory() as scratch:
        folders = {}
        for op in dict.fromkeys(e["op"] for e in TABLE):
            folders[op] = []
            for seed in (1, 2, 3):
                folder = pathlib.Path(scratch) / f"{op}.{seed}"
                subprocess.run([SMOEREF, "gen", op, "--suite", "core", "--seed", str(seed), "--out", str(folder)],
                               check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                folders[op].append(folder)
        for e in TABLE:
            text = (ROOT / "verify/proofs/coq" / f"{e['file']}.v").read_text()
            statement = re.search(rf"^Theorem {e['theorem']}\b.*?^Proof", text, flags=re.M | re.S)
            if not statement or " ".join(e["formula"].split()) not in " ".join(statement.group(0).split()):
                print(f"gradients: {e['file']}.v: {e['theorem']} does not say {e['formula']}", file=sys.stderr)
                failed = True
                continue
            count, worst = 0, [0.0, 0.0, 0.0]
            for folder in folders[e["op"]]:
                for parameters, words, given, golden in cases(folder, e["op"]):
                    if not e["where"](words):
                        continue
                    inputs = {n: v for n, v in given.items() if not n.startswith("d_")}
                    cotangents = {n: v for n, v in given.items() if n.startswith("d_")}
                    with np.errstate(all="ignore"):
                        coq = e["gradient"]({**golden, **given}, words)
                    auto = client.answer(e["op"], parameters, inputs, {n[2:]: v for n, v in cotangents.items()}, "f64")
                    for name, formula in coq.items():
                        three = [golden[name], np.broadcast_to(formula, golden[name].shape), auto[name]]
                        if golden[name].size == 0 or not golden["bound.f64." + name].max() < 2.0 ** -26 * np.abs(golden[name]).max():
                            continue
                        count += 1
                        for i, (a, b) in enumerate(((0, 1), (0, 2), (1, 2))):
                            worst[i] = max(worst[i], difference(three[a], three[b]))
            wrong = count == 0 or max(worst) > LIMIT
            failed |= wrong
            print(f"{e['theorem']:32} {e['op']:22} {count:5} " + " ".join(f"{w:10.1e}" for w in worst) + ("  WRONG" if wrong else ""))
    print(f"gradients: {len(TABLE)} theorems, {'FAILED' if failed else 'three routes agree'} (NumPy {np.__version__}, PyTorch {torch.__version__})")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
