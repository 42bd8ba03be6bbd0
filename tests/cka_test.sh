#!/bin/sh
# smoeref cka: figures against published ones and against NumPy, every format, intervals, shared counts, heat maps, bad dumps.
# Prints TAP.  SMOEREF: the command.  PYTHON: an interpreter with NumPy.
set -u
smoeref=${SMOEREF:-./smoeref}
python=${PYTHON:-python3}
top=$(cd "$(dirname "$0")/.." && pwd)
case $smoeref in /*) ;; *) smoeref=$PWD/$smoeref ;; esac
if ! "$python" -c 'import numpy' 2>/dev/null; then
    echo "1..0 # SKIP $python has no NumPy"
    exit 0
fi
export PYTHONDONTWRITEBYTECODE=1 OPENBLAS_NUM_THREADS=1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cd "$work" || exit 1
n=0
point() { # point STATUS DESCRIPTION
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else
        echo "not ok $n - $2"
        tail -n 20 "$work/log" | sed 's/^/# /'
    fi
}

# --- dumps, and an independent CKA ------------------------------------------------------------------------------------
cat >"$work/dumps.py" <<'P'
import sys
import numpy as np
sys.path.insert(0, sys.argv[1] + "/verify/clients")
from smoeref_io import bf16_bits, write
rng = np.random.RandomState(1337)
X = rng.randn(100, 10)
Y = rng.randn(100, 10) + X
np.savez("published.npz", X=X, Y=Y)
np.savez_compressed("deflated.npz", X=X, Y=Y)
np.save("X.npy", X)
np.save("Y.npy", np.asfortranarray(Y).astype(">f8"))
rng = np.random.RandomState(5)
a = rng.randn(1500, 6)
layers = {"layer.10": np.tanh(a @ rng.randn(6, 9)), "layer.2": a + 0.5 * rng.randn(1500, 6), "layer.1": rng.randn(1500, 4),
          "ids": np.arange(1500)}
write("layers.safetensors", layers, "F64")
write("far.safetensors", {k: v + 1e6 for k, v in layers.items() if k != "ids"}, "F64")
write("tiny.safetensors", {k: v * 1e-30 for k, v in layers.items() if k != "ids"}, "F64")
write("huge.safetensors", {k: v * 1e30 for k, v in layers.items() if k != "ids"}, "F64")
o = rng.randn(40, 3, 5).astype(np.float32).astype(np.float16)
write("first.safetensors", {"o": o.transpose(1, 0, 2).copy()}, "F16")
write("second.safetensors", {"o": o}, "F32")
write("bf16.safetensors", {"o": o.transpose(1, 0, 2).copy()}, "BF16")
np.savez_compressed("second.npz", o=o)
np.save("first.npy", o.transpose(1, 0, 2).copy())
index = np.stack([rng.permutation(3)[:2] for _ in range(40)])
np.savez("routing.npz", index=index, other=index.astype(float))
np.save("routing.npy", index)
np.save("one.npy", index[:, 0])
write("wide.safetensors", {"a": rng.randn(12, 40), "b": rng.randn(12, 40)}, "F64")
# bad ones
bad = {"nan": layers["layer.2"].copy(), "inf": layers["layer.2"].copy()}
bad["nan"][1234, 5] = np.nan
bad["inf"][7, 0] = -np.inf
np.savez("nan.npz", ok=layers["layer.1"], bad=bad["nan"])
np.savez("inf.npz", ok=layers["layer.1"], bad=bad["inf"])
np.savez("ragged.npz", a=layers["layer.1"], b=layers["layer.2"][:-1])
np.savez("dtype.npz", a=np.arange(8).reshape(4, 2), b=np.arange(8).reshape(4, 2))
np.savez("constant.npz", a=layers["layer.1"], b=np.full((1500, 3), 0.1))
np.savez("three.npz", a=layers["layer.1"][:3], b=layers["layer.2"][:3])
np.savez("empty.npz", a=np.zeros((0, 4)), b=np.zeros((0, 4)))
np.save("vector.npy", np.arange(5.0))
np.save("equal.npy", np.repeat(rng.randn(2, 3), [30, 10], 0))
index[17, 1] = 3
np.save("beyond.npy", index)
index[17] = 1
np.save("twice.npy", index)
write("many.safetensors", {"m%d" % k: rng.randn(50, 3 + k) for k in range(5)}, "F64")
open("nothing.npy", "w").close()
for whole, part in (("layers.safetensors", "cut.safetensors"), ("X.npy", "cut.npy"), ("deflated.npz", "cut.npz")):
    data = open(whole, "rb").read()
    open(part, "wb").write(data[:-100])
data = bytearray(open("published.npz", "rb").read())
data[900] ^= 1
open("flipped.npz", "wb").write(data)
np.savez("'; system \"touch sq\"; '`touch bq`.npz", **{"a'b`touch bq2`": layers["layer.1"], "c\"d": layers["layer.2"]})
P
cat >"$work/cka.py" <<'P'
"""CKA from its definitions, by other routes than the command's: HKH as products, Song's sums, distances by broadcasting."""
import json
import os
import subprocess
import numpy as np
SMOEREF = os.environ["SMOEREF_COMMAND"]


def run(*arguments):
    return json.loads(subprocess.run([SMOEREF, "cka", *arguments, "--json", "-"], check=True, capture_output=True).stdout)


def gram(x, kernel="linear", sigma=.8, bandwidth="median", diagonal="with", middle="mean", median="distance"):
    x = x.astype(float)
    if kernel == "linear":
        return (x - x.mean(0)) @ (x - x.mean(0)).T
    d = ((x[:, None] - x[None]) ** 2).sum(2)
    values = np.sort(d.ravel() if diagonal == "with" else d[~np.eye(len(d), dtype=bool)])
    values = values if median == "square" else np.sqrt(values)
    m = values[(len(values) - 1) // 2] if middle == "lower" else np.median(values)
    variance = sigma ** 2 if bandwidth == "absolute" else sigma ** 2 * (m if median == "square" else m * m)
    return np.exp(-d / (2 * variance))


def hsic(k, l, estimator):
    n = len(k)
    if estimator == "biased":
        h = np.eye(n) - 1 / n
        return np.sum((h @ k @ h) * l)
    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))
    return (np.sum(k * l) + k.sum() * l.sum() / (n - 1) / (n - 2) - 2 / (n - 2) * (k.sum(0) @ l.sum(0))) / (n * (n - 3))


def cka(x, y, estimator="debiased", **kernel):
    k, l = gram(x, **kernel), gram(y, **kernel)
    return hsic(k, l, estimator) / np.sqrt(hsic(k, k, estimator) * hsic(l, l, estimator))


def minibatch(x, y, m, **kernel):
    h = np.zeros(3)
    for b in range(len(x) // m):
        k, l = gram(x[b * m:b * m + m], **kernel), gram(y[b * m:b * m + m], **kernel)
        h += [hsic(k, l, "unbiased"), hsic(k, k, "unbiased"), hsic(l, l, "unbiased")]
    return h[0] / np.sqrt(h[1] * h[2])
P
export SMOEREF_COMMAND="$smoeref" PYTHONPATH="$work:$top/verify/clients"
"$python" "$work/dumps.py" "$top" >"$work/log" 2>&1
point $? 'dumps are made'

check() { # check DESCRIPTION, the Python on standard input
    "$python" - >"$work/log" 2>&1
    point $? "$1"
}

# --- values -----------------------------------------------------------------------------------------------------------
check 'the published figures of X = randn(100,10), Y = X + randn(100,10): 0.55761, 0.51346, 0.65483' <<'P'
from cka import run
for files in (["published.npz"], ["deflated.npz"], ["X.npy", "Y.npy"]):
    for arguments, published in ((["--estimator", "biased"], .55761), (["--estimator", "biased", "--route", "gram"], .55761),
                                 ([], .51346), (["--kernel", "rbf", "--sigma", ".5", "--estimator", "biased"], .65483)):
        got = run(*files, *arguments)["cka"][0][1]
        assert abs(got - published) <= 5e-6, (files, arguments, got)
P
check 'every estimator, kernel, bandwidth rule and route, against NumPy' <<'P'
import itertools
import smoeref_io
from cka import *
x = {k: np.asarray(v) for k, v in smoeref_io.read("layers.safetensors")[0].items() if k != "ids"}
names = ["layer.1", "layer.2", "layer.10"]
def agrees(j, f, what, bound=1e-12):
    assert [r["tensor"] for r in j["representations"]] == names, j["representations"]
    for a, b in itertools.combinations(range(3), 2):
        got, expected = j["cka"][a][b], f(x[names[a]], x[names[b]])
        assert abs(got - expected) <= bound and j["cka"][b][a] == got and j["cka"][a][a] == 1, (what, a, b, got, expected)
for estimator in ("biased", "unbiased", "debiased"):
    for route in ("auto", "features", "gram"):
        j = run("layers.safetensors", "--estimator", estimator, "--route", route)
        assert j["route"] == ("gram" if route == "gram" else "features"), j["route"]
        agrees(j, lambda a, b: cka(a, b, estimator), (estimator, route))
for batch in (4, 50, 700):
    agrees(run("layers.safetensors", "--estimator", "minibatch", "--batch", str(batch)), lambda a, b: minibatch(a, b, batch), batch)
rules = dict(kernel="rbf", sigma=.7, bandwidth="median", diagonal="without", middle="lower", median="square")
for change in ({}, {"diagonal": "with"}, {"middle": "mean"}, {"median": "distance"}):
    rule = {**rules, **change}
    options = [t for k, v in rule.items() for t in ("--" + k, str(v))]
    agrees(run("layers.safetensors", "--estimator", "minibatch", "--batch", "50", *options), lambda a, b: minibatch(a, b, 50, **rule), rule)
rule = dict(kernel="rbf", sigma=1.5, bandwidth="absolute")
agrees(run("layers.safetensors", "--kernel", "rbf", "--sigma", "1.5", "--bandwidth", "absolute"), lambda a, b: cka(a, b, **rule), rule)
P
check 'an offset of 1e6 and scales of 1e-30 and 1e30 change nothing' <<'P'
from cka import *
for estimator in ("biased", "debiased", "minibatch"):
    near = np.array(run("layers.safetensors", "--estimator", estimator)["cka"])
    for other, bound in (("far", 1e-9), ("tiny", 1e-13), ("huge", 1e-13)):
        got = np.array(run(other + ".safetensors", "--estimator", estimator)["cka"])
        assert abs(got - near).max() <= bound, (estimator, other, abs(got - near).max())
P
check 'several passes, and few Gram matrices at a time, give the same bits' <<'P'
from cka import *
for route, small in (("features", "169500"), ("gram", "62M")):
    one, more = run("layers.safetensors", "--route", route), run("layers.safetensors", "--route", route, "--memory", small)
    assert one == more, (route, one["cka"], more["cka"])
P
# Five matrices of 50 samples, 3 to 7 features.  Features: beside 16888 bytes, room for products of 49 doubles (all but the first
# three passes are for one pair) or 100; Gram matrices: beside 26400, of 20000 each, one that comes by and 1, 2, 3 or all.
check 'the memory says how many passes, the table says so too, and the bits are the same' <<'P'
from cka import *
for route, passes in (("features", {"17280": 11, "17688": 5, "1M": 1}), ("gram", {"76400": 5, "96400": 3, "116400": 2, "126400": 1})):
    whole = run("many.safetensors", "--route", route)
    for memory, expected in passes.items():
        options = ["many.safetensors", "--route", route, "--memory", memory]
        assert run(*options) == whole, (route, memory)
        first = subprocess.run([SMOEREF, "cka", *options], check=True, capture_output=True, text=True).stdout.splitlines()[0]
        assert first.endswith(", in %d passes" % expected if expected > 1 else ("features" if route == "features" else "matrices")), first
P
check 'dtypes, three dimensions, both orders of experts, npy, npz: the same experts' <<'P'
from cka import *
o = np.load("second.npz")["o"]
expected = np.array([[cka(o[:, a], o[:, b]) if a != b else 1 for b in range(3)] for a in range(3)])
for name, experts in (("first.safetensors", "first"), ("second.safetensors", "second"), ("second.npz", "second"),
                      ("first.npy", "first"), ("bf16.safetensors", "first")):
    j = run(name, "--experts", experts)
    assert [r["index"] for r in j["representations"]] == [0, 1, 2]
    bound = 1e-2 if name.startswith("bf16") else 1e-12
    assert abs(np.array(j["cka"]) - expected).max() <= bound, (name, j["cka"], expected)
P
check 'more features than samples: Gram matrices are cheaper, and the same' <<'P'
from cka import *
auto, features = run("wide.safetensors"), run("wide.safetensors", "--route", "features")
assert auto["route"] == "gram" and features["route"] == "features"
assert abs(auto["cka"][0][1] - features["cka"][0][1]) <= 1e-12
P
if "$smoeref" list | grep -q '^ *similarity.cka'; then
    check 'the operations similarity.cka and similarity.minibatch say the same' <<'P'
import subprocess
import smoeref_io
from cka import *
t, _ = smoeref_io.read("layers.safetensors")
smoeref_io.write("prompt.safetensors", {"x": t["layer.2"], "y": t["layer.10"]}, "F64")
def evaluated(op, *options):
    subprocess.run([SMOEREF, "eval", op, "--in", "prompt.safetensors", "--out", "answer.safetensors", *options], check=True)
    return float(smoeref_io.read("answer.safetensors")[0]["cka"])
for estimator in ("biased", "unbiased", "debiased"):
    for route in ("gram", "features"):
        got = run("layers.safetensors", "--estimator", estimator, "--route", route)["cka"][1][2]
        assert abs(got - evaluated("similarity.cka", "--set", f"estimator={estimator},route={route}")) <= 1e-13
got = run("layers.safetensors", "--estimator", "minibatch", "--batch", "50")["cka"][1][2]
assert abs(got - evaluated("similarity.minibatch", "--set", "batch=50")) <= 1e-13, got # other sums: the last bit is a matter of the data
P
fi

# --- which tensors ----------------------------------------------------------------------------------------------------
check '--tensor: names, patterns, their order, what is left out, two files with the same names' <<'P'
from cka import *
def names(*a):
    return [r["label"] for r in run(*a)["representations"]]
assert names("layers.safetensors") == ["layer.1", "layer.2", "layer.10"]
assert names("layers.safetensors", "--tensor", "layer.10", "--tensor", "layer.[12]") == ["layer.10", "layer.1", "layer.2"]
assert run("layers.safetensors")["left_out"] == ['"ids" (I64 [1500])']
assert names("layers.safetensors", "far.safetensors", "--tensor", "layer.2") == ["layers.safetensors:layer.2", "far.safetensors:layer.2"]
assert names("first.npy") == ["first[0]", "first[1]", "first[2]"]
P

# --- intervals --------------------------------------------------------------------------------------------------------
check 'intervals: a function of the seed, wider for a higher level, about the similarity, narrow where rows agree' <<'P'
from cka import *
def intervals(*a):
    b = run("layers.safetensors", "--bootstrap", "400", *a)
    return np.array(b["cka"]), np.array(b["bootstrap"]["lower"]), np.array(b["bootstrap"]["upper"])
for estimator in ("debiased", "biased", "minibatch"):
    value, low, high = intervals("--estimator", estimator)
    assert (low <= value).all() and (value <= high).all()
    assert all((a == b).all() for a, b in zip((value, low, high), intervals("--estimator", estimator, "--seed", "1")))
    _, low2, _ = intervals("--estimator", estimator, "--seed", "2")
    assert (low2 != low).any() and abs(low2 - low).max() < 0.05
    _, low99, high99 = intervals("--estimator", estimator, "--level", "0.99")
    off = ~np.eye(3, dtype=bool)
    assert (low99 < low)[off].all() and (high99 > high)[off].all() and (low == high)[~off].all()
    assert low[1, 2] > high[0, 1] and low[0, 1] < 0 < high[0, 1] or estimator == "biased"
P
check 'of 100 samples the 90 % interval of the minibatch estimator has the true value in 80 to 98' <<'P'
from cka import *
rng = np.random.RandomState(3)
a = np.array([[1.0, .5], [0, 1]])
sxy, syy = .6 * a, .36 * a.T @ a + .64 * np.eye(2)
true = (sxy ** 2).sum() / np.sqrt(2 * (syy ** 2).sum())
hits = 0
for seed in range(100):
    x = rng.randn(1024, 2)
    np.savez("sample.npz", x=x, y=.6 * x @ a + .8 * rng.randn(1024, 2))
    j = run("sample.npz", "--estimator", "minibatch", "--bootstrap", "200", "--level", "0.9", "--seed", str(seed))
    hits += j["bootstrap"]["lower"][0][1] <= true <= j["bootstrap"]["upper"][0][1]
assert 80 <= hits <= 98, hits
P

# --- routing ----------------------------------------------------------------------------------------------------------
check '--routing: how many samples chose both experts' <<'P'
from cka import *
index = np.load("routing.npy")
chosen = np.zeros((40, 3), int)
np.put_along_axis(chosen, index, 1, 1)
for routing in ("routing.npz", "routing.npz:index", "routing.npy"):
    j = run("first.npy", "--routing", routing)["routing"] if routing != "routing.npz" else run("first.npy", "--routing", "routing.npz:in*")["routing"]
    assert j["shared"] == (chosen.T @ chosen).tolist() and j["selected"] == 2, j
one = run("first.npy", "--routing", "one.npy")["routing"]
assert one["shared"] == np.diag(np.bincount(index[:, 0], minlength=3)).tolist() and one["selected"] == 1
P

# --- output -----------------------------------------------------------------------------------------------------------
"$smoeref" cka layers.safetensors --bootstrap 100 >out 2>log && [ ! -s log ] &&
    grep -q '^CKA of 3 representations: linear kernel, debiased estimator, 1500 samples, by moments of features$' out &&
    grep -q '^  0  layer.1  \[1500,4\] F64$' out && grep -q '^  left out: "ids" (I64 \[1500\])$' out &&
    grep -q '^95 % intervals: 100 replicates of 32 batches of 46 rows, seed 1$' out
point $? 'the table says estimator, kernel, samples and what was left out; no progress where there is no terminal'
"$smoeref" cka layers.safetensors --estimator minibatch --batch 400 >out 2>log &&
    grep -q 'minibatch estimator (3 batches of 400), 1500 samples (the last 300 in no batch)$' out
point $? 'and the samples that are in no batch'
for options in '' '--kernel rbf --memory 100M' '--estimator minibatch' '--bootstrap 100 --batch 5 --routing routing.npy'; do
    case $options in *routing*) file=first.npy ;; *) file=layers.safetensors ;; esac
    "$smoeref" cka $file $options --json r.json >out 2>log && [ -s out ] &&
        "$python" "$top/tests/schema.py" "$top/spec/schema/cka.json" r.json >log 2>&1
    point $? "JSON follows its schema: $file $options"
done
check 'the schema refuses what is not so' <<P
import json, sys
sys.argv = ["schema.py", "$top/spec/schema/cka.json", "r.json"]
sys.path.insert(0, "$top/tests")
from schema import root, document, wrong
assert wrong(root, document, "r") is None
for spoil in (lambda r: r.pop("estimator"), lambda r: r.update(extra=1), lambda r: r.update(estimator="best"),
              lambda r: r["cka"][0].append("1"), lambda r: r["routing"]["shared"][0].append(-1)):
    other = json.loads(json.dumps(document))
    spoil(other)
    assert wrong(root, other, "r") is not None
P
"$smoeref" cka first.npy --routing routing.npy --bootstrap 100 --batch 5 --csv r.csv --json r.json >out 2>log
check 'CSV has the numbers of the JSON' <<'P'
import csv, json
j = json.load(open("r.json"))
rows = list(csv.DictReader(open("r.csv", newline="")))
assert len(rows) == 6
for r in rows:
    a, b = int(r["i"]), int(r["j"])
    assert float(r["cka"]) == j["cka"][a][b] and int(r["shared"]) == j["routing"]["shared"][a][b]
    assert float(r["lower"]) == j["bootstrap"]["lower"][a][b] and float(r["upper"]) == j["bootstrap"]["upper"][a][b]
    assert r["a"] == j["representations"][a]["label"] == "first[%d]" % a
P
if command -v gnuplot >/dev/null 2>&1; then
    "$smoeref" cka first.npy --routing routing.npy --plot r.svg --plot r.png >out 2>log &&
        "$python" - >log 2>&1 <<'P'
import xml.dom.minidom
text = open("r.svg").read()
xml.dom.minidom.parseString(text)
for word in ("debiased estimator, n = 40", "first[2]", "samples that chose both", ">CKA<", "Samples that two experts share"):
    assert word in text, word
assert len(text) < 200000
assert open("r.png", "rb").read(8) == b"\x89PNG\r\n\x1a\n"
P
    point $? 'heat maps: SVG with title, labels and colour bar; PNG'
    "$smoeref" cka ./*touch*.npz --plot "'|touch pipe; \`touch bq3\`.svg" >out 2>log && [ ! -e sq ] && [ ! -e bq ] && [ ! -e bq2 ] &&
        [ ! -e bq3 ] && [ ! -e pipe ] && grep -q 'a&apos;b`touch bq2`\|a'"'"'b`touch bq2`' "'|touch pipe; \`touch bq3\`.svg"
    point $? 'names of files and tensors that gnuplot or a shell would obey stay names'
    "$smoeref" cka first.npy --plot nowhere/r.svg >out 2>log
    [ $? -eq 3 ] && grep -q 'nowhere/r.svg: cannot write' log && [ ! -s out ]
    point $? 'a heat map that cannot be written is known before the work'
fi
mkdir bin
PATH="$work/bin" "$smoeref" cka first.npy --plot r2.svg >out 2>log
[ $? -eq 3 ] && grep -q '^smoeref: gnuplot is not on PATH: --plot needs it' log && [ ! -e r2.svg ] && [ ! -s out ]
point $? 'no gnuplot: a line says so, before the work'
printf '#!/bin/sh\necho "line 0: no such terminal" >&2\nexit 1\n' >bin/gnuplot && chmod +x bin/gnuplot
PATH="$work/bin" "$smoeref" cka first.npy --plot r2.svg --json r2.json >out 2>log
[ $? -eq 3 ] && grep -q '^smoeref: gnuplot failed (status 1): "line 0: no such terminal"$' log && [ ! -e r2.svg ] && [ ! -e r2.json ]
point $? 'a gnuplot that fails: its last line, and nothing is written'

# --- bad dumps --------------------------------------------------------------------------------------------------------
refuses() { # refuses STATUS TEXT ARGUMENT...: that status, one line that has TEXT, and no output file
    expected=$1
    text=$2
    shift 2
    rm -f new.json new.csv
    "$smoeref" cka "$@" --json new.json --csv new.csv >out 2>log
    status=$?
    [ "$status" -eq "$expected" ] && [ "$(wc -l <log)" -eq 1 ] && grep -qF -e "$text" log && [ ! -s out ] &&
        [ ! -e new.json ] && [ ! -e new.csv ] && ! ls ./*.tmp >/dev/null 2>&1
    point $? "refuses, status $expected: $text"
}
refuses 3 'nan.npz: tensor "bad": row 1234, column 5 is NaN, expected a finite number' nan.npz
refuses 3 'inf.npz: tensor "bad": row 7, column 0 is -inf, expected a finite number' inf.npz --estimator minibatch
refuses 3 'ragged.npz: tensor "b" has 1499 samples, but tensor "a" of ragged.npz has 1500: expected the same samples in all' ragged.npz
refuses 3 'dtype.npz: tensor "a": dtype I64, shape [4,2], expected F64, F32, BF16 or F16' dtype.npz --tensor a
refuses 3 'dtype.npz: no tensor is samples by features in F64, F32, BF16 or F16; found "a" (I64 [4,2])' dtype.npz
refuses 3 'vector.npy: no tensor is samples by features' vector.npy
refuses 3 'vector.npy: tensor "vector": dtype F64, shape [5], expected [n,p] or [N,n,p], samples by features' vector.npy --tensor vector
refuses 3 'constant.npz: tensor "b": all samples have the same features (zero variance): CKA is not defined' constant.npz
refuses 3 'constant.npz: tensor "b": all samples have the same features' constant.npz --estimator biased --route gram
refuses 3 'constant.npz: tensor "b": all samples have the same features' constant.npz --estimator minibatch
refuses 3 'constant.npz: tensor "b": all samples have the same features' constant.npz --estimator minibatch --kernel rbf
refuses 3 'equal.npy: tensor "equal": no bandwidth: the median of the distances is 0' equal.npy --kernel rbf
refuses 3 'three.npz: tensor "a": 3 samples, expected at least 4 for the debiased estimator' three.npz
refuses 3 'three.npz: tensor "a": 3 samples, expected at least 4 for the minibatch estimator' three.npz --estimator minibatch
refuses 3 'X.npy: tensor "X": 100 samples are 2 batches of 50, expected at least 8 to resample' X.npy --bootstrap 100 --batch 50
refuses 3 'empty.npz: tensor "a": dtype F64, shape [0,4], expected at least one sample and one feature' empty.npz
refuses 3 'nothing.npy: is empty' nothing.npy
refuses 3 'cut.safetensors: tensor "ids": bytes' cut.safetensors
refuses 3 'cut.npy: tensor "cut": 7900 bytes of data, expected 8000 for shape [100,10] of F64' cut.npy
refuses 3 'cut.npz: is no .npz file' cut.npz
refuses 3 'flipped.npz: tensor "X": damaged: what is inflated is not what was announced' flipped.npz
refuses 3 'absent.npy: cannot be opened' absent.npy
refuses 3 'layers.safetensors: no tensor "layer.3"' layers.safetensors --tensor layer.1 --tensor layer.3
refuses 3 'raise it, or use --estimator minibatch' layers.safetensors --kernel rbf --memory 40M
refuses 3 'the moments of one pair and a block of rows: ' layers.safetensors --memory 10K
refuses 3 'beyond.npy: tensor "beyond": row 17, column 1: expert 3, expected 0 to 2: one a representation' first.npy --routing beyond.npy
refuses 3 'twice.npy: tensor "twice": row 17 has expert 1 twice' first.npy --routing twice.npy
refuses 3 'tensor "routing" has 40 samples, the representations have 1500' layers.safetensors --routing routing.npy
refuses 3 'expected I64, the experts of each sample' first.npy --routing routing.npz:other
refuses 2 'no file'
refuses 2 "--estimator is 'unbaised', expected one of debiased, unbiased, biased, minibatch; did you mean 'unbiased'?" X.npy --estimator unbaised
refuses 2 '--sigma makes sense with --kernel rbf only' X.npy --sigma 2
refuses 2 '--middle makes sense with --kernel rbf and --bandwidth median only' X.npy --kernel rbf --bandwidth absolute --middle lower
refuses 2 '--level makes sense with --bootstrap only' X.npy --level 0.9
refuses 2 '--batch makes sense with --estimator minibatch or --bootstrap only' X.npy --batch 50
refuses 2 '--route features needs the linear kernel' X.npy --kernel rbf --route features
refuses 2 "--memory is '1X'" X.npy --memory 1X
refuses 2 "--plot is 'r.pdf', expected a name that ends in .svg or .png" X.npy --plot r.pdf
echo "1..$n"
