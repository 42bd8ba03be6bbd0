#!/bin/sh
# The ways in: clients in C, C++ and JavaScript, one call from Python, pytest.  Prints TAP.
#   SMOEREF   the command   CC   a C compiler   PYTHON   an interpreter with NumPy
set -u
smoeref=${SMOEREF:-./smoeref}
python=${PYTHON:-python3}
clients=$(cd "$(dirname "$0")/../verify/clients" && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
export PYTHONDONTWRITEBYTECODE=1
plan=15
echo 1..$plan
n=0

point() { # point STATUS DESCRIPTION
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else
        echo "not ok $n - $2"
        tail -n 40 "$work/log" | sed 's/^/# /'
    fi
}

skip() { # skip DESCRIPTION REASON
    n=$((n + 1))
    echo "ok $n - $1 # SKIP $2"
}

expect() { # expect STATUS TEXT COMMAND...: 0 if the command's exit status is STATUS and its output has TEXT
    wanted=$1
    text=$2
    shift 2
    "$@" >"$work/log" 2>&1
    got=$?
    [ "$got" -eq "$wanted" ] || { echo "exit status $got instead of $wanted: $*" >>"$work/log"; return 1; }
    [ -z "$text" ] || grep -qF -e "$text" "$work/log" || { echo "the output lacks '$text': $*" >>"$work/log"; return 1; }
}

"$smoeref" gen gate.weights --suite core,adversarial --precision f64,f32 --out "$work/golden" >"$work/log" 2>&1 || {
    cat "$work/log"
    exit 1
}
judge() { # judge PRECISION COMMAND
    "$smoeref" check --cases "$work/golden" --quiet --precision "$1" --exec "$2"
}
warnings='-Wall -Wextra -Wconversion -Wshadow -pedantic -Werror'

# --- C and C++ --------------------------------------------------------------------------------------------------
# shellcheck disable=SC2086
${CC:-cc} -std=c11 $warnings -O1 -I"$clients/c" -o "$work/gate" "$clients/c/gate.c" -lm >"$work/log" 2>&1
point $? 'the C client builds'
expect 0 ' passed, 0 failed' judge f64 "$work/gate {prompt} {answer}"
point $? 'the C client passes'
sed 's/(dweight\[j\] - inner)/dweight[j]/' "$clients/c/gate.c" >"$work/wrong.c"
${CC:-cc} -std=c11 -O1 -I"$clients/c" -o "$work/wrong" "$work/wrong.c" -lm && expect 1 'FAIL' judge f64 "$work/wrong {prompt} {answer}" &&
    grep -q 'd_r' "$work/log"
point $? 'and fails with a term left out of its gradient'
printf 'no prompt' >"$work/short"
expect 1 'is no prompt' "$work/gate" "$work/short" "$work/answer"
point $? 'it refuses what is no prompt'
if command -v "${CXX:-c++}" >/dev/null 2>&1; then
    # shellcheck disable=SC2086
    ${CXX:-c++} -std=c++17 $warnings -O1 -o "$work/gatexx" "$clients/cxx/gate.cpp" >"$work/log" 2>&1
    point $? 'the C++ client builds'
    expect 0 ' passed, 0 failed' judge f32 "$work/gatexx {prompt} {answer}"
    point $? 'the C++ client passes'
else
    skip 'the C++ client builds' 'no C++ compiler'
    skip 'the C++ client passes' 'no C++ compiler'
fi

# --- JavaScript -------------------------------------------------------------------------------------------------
if command -v node >/dev/null 2>&1; then
    expect 0 ' passed, 0 failed' judge f64 "node '$clients/js/gate.mjs' {prompts} {answers}"
    point $? 'the JavaScript client passes'
    sed 's/=== "softmax-topk"/=== "no"/' "$clients/js/gate.mjs" >"$work/wrong.mjs"
    expect 1 'the weights of order=topk-softmax' judge f64 "node '$work/wrong.mjs' {prompts} {answers}"
    point $? 'and fails with another order of softmax and top-k, which is named'
else
    skip 'the JavaScript client passes' 'no node'
    skip 'and fails with another order of softmax and top-k, which is named' 'no node'
fi

# --- one call from Python ---------------------------------------------------------------------------------------
cat >"$work/gate.py" <<'P'
import numpy as np

def gate(r, k, d_weight):                      # topk-softmax, and its gradient by hand
    index = np.argsort(-r, axis=-1, kind="stable")[:, :k]
    value = np.take_along_axis(r, index, -1)
    e = np.exp(value - value.max(-1, keepdims=True))
    weight = e / e.sum(-1, keepdims=True)
    d_r = np.zeros_like(r)
    np.put_along_axis(d_r, index, weight * (d_weight - (d_weight * weight).sum(-1, keepdims=True)), -1)
    return {"index": index, "weight": weight, "d_r": d_r}

def halved(r, k, d_weight):
    return {name: value / 2 if name == "d_r" else value for name, value in gate(r, k, d_weight).items()}
P
cat >"$work/judged.py" <<'P'
import sys
import numpy as np
import smoeref_io
from gate import gate, halved

def refuses(kind, text, op, fn, **how):
    try:
        smoeref_io.judge(op, fn, suite="smoke", **how)
    except kind as error:
        assert text in str(error), error
    else:
        sys.exit("passes: " + text)

smoeref_io.judge("gate.weights", gate, "f64", where={"order": ["topk-softmax", "softmax-topk-renorm"]})
smoeref_io.judge("gate.weights", gate, defaults=True)
refuses(AssertionError, "d_r: golden times 1/2", "gate.weights", halved)
refuses(AssertionError, "ZeroDivisionError", "gate.weights", lambda r: 1 / 0)
refuses(AssertionError, "'d_z' is missing", "numerics.softmax", lambda z: z)
smoeref_io.judge("numerics.softmax", lambda z: np.exp(z) / np.exp(z).sum(-1, keepdims=True), suite="smoke", forward=True)
refuses(TypeError, "takes 'x', but numerics.softmax has z, d_p", "numerics.softmax", lambda x: x)
refuses(TypeError, "return a dict", "gate.weights", lambda r: r)
refuses(TypeError, "returned 1 values, expected 2", "gate.weights", lambda r: r, returns=("index", "weight"))
refuses(ValueError, "did you mean 'gate.weights'", "gate.weight", gate)
refuses(ValueError, "expected 'numpy' or 'torch'", "gate.weights", gate, tensors="jax")
refuses(RuntimeError, "no command", "gate.weights", gate, command="/nowhere/smoeref")
P
cat >"$work/graph.py" <<'P'
import sys
try:
    import numpy.linalg, torch.autograd      # and not the clients' folders of these names
except ImportError:
    sys.exit(77)
import smoeref_io

def gate(r, k):
    value, index = torch.sort(r, dim=-1, descending=True, stable=True)
    return index[:, :k], torch.softmax(value[:, :k], -1)

smoeref_io.judge("gate.weights", gate, "bf16", tensors="torch", returns=("index", "weight"), defaults=True)
try:
    smoeref_io.judge("numerics.softmax", lambda z: torch.softmax(z, -1).detach(), suite="smoke", tensors="torch")
except AssertionError as report:
    assert "d_z: golden times 0" in str(report), report
else:
    sys.exit("a graph that was cut passes")
P
printf 'pytest_plugins = ["smoeref_io"]\n' >"$work/conftest.py"
cat >"$work/test_gate.py" <<'P'
from gate import gate, halved

def test_right(smoeref_judge):
    smoeref_judge("gate.weights", gate, suite="smoke")

def test_wrong(smoeref_judge):
    smoeref_judge("gate.weights", halved, suite="smoke")
P
python() { SMOEREF=$smoeref PYTHONPATH=$clients${PYTHONPATH:+:$PYTHONPATH} "$python" "$@"; }
if "$python" -c 'import numpy' 2>/dev/null; then
    expect 0 '' python "$work/judged.py"
    point $? 'Python: a right function passes, a wrong one and a misfit do not'
else
    skip 'Python: a right function passes, a wrong one and a misfit do not' "$python has no NumPy"
fi
python "$work/graph.py" >"$work/log" 2>&1
case $? in
77) skip 'Python: gradients by autograd; a cut graph fails' "$python has no PyTorch" ;;
0) point 0 'Python: gradients by autograd; a cut graph fails' ;;
*) point 1 'Python: gradients by autograd; a cut graph fails' ;;
esac
if "$python" -c 'import numpy, pytest' 2>/dev/null; then
    expect 1 '1 failed, 1 passed' python -m pytest -q -p no:cacheprovider "$work/test_gate.py" &&
        grep -q 'E .*d_r: golden times 1/2' "$work/log" && grep -q 'FAILED .*::test_wrong' "$work/log" &&
        ! grep -q 'smoeref_io.py' "$work/log"
    point $? 'pytest: the fixture, and a report without our own stack'
else
    skip 'pytest: the fixture, and a report without our own stack' "$python has no pytest"
fi

# --- cases that are committed: prompts in, answers out, diff ----------------------------------------------------
pin=$("$smoeref" vectors digest "$work/golden")
mkdir "$work/answers"
for prompt in "$work/golden"/*.prompt.safetensors; do
    "$work/gate" "$prompt" "$work/answers/$(basename "$prompt" .prompt.safetensors).safetensors" || break
done
expect 0 "$pin" "$smoeref" vectors verify "$work/golden" --sha256 "$pin" &&
    expect 0 ' passed, 0 failed' "$smoeref" diff "$work/golden" "$work/answers" --precision f32
point $? 'a committed folder of cases: vectors verify and diff, and nothing else'
"$smoeref" gen gate.weights --suite core,adversarial --precision f64,f32 --out "$work/again" --jobs 2 >"$work/log" 2>&1
expect 0 '' diff -r "$work/golden" "$work/again"
point $? 'and it is the same to the byte when it is generated again'

# --- what there is to copy --------------------------------------------------------------------------------------
"$python" - "$clients/ci" >"$work/log" 2>&1 <<'P'
import pathlib, re, sys
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.yml")):
    text = path.read_text()
    assert "\t" not in text and re.search(r"^(jobs|smoeref):$", text, re.M), path
    print(path.name)
P
[ $? -eq 0 ] && [ "$(wc -l <"$work/log")" -eq 3 ]
point $? 'the CI files are there'
# The commands in them are commands: each option that they use is one that --help has.
for word in $(grep -ho 'smoeref/smoeref .*' "$clients"/ci/*.yml | grep -o -- ' --[a-z0-9-]*' | sort -u); do
    { "$smoeref" check --help && "$smoeref" diff --help && "$smoeref" vectors --help; } | grep -q -e "$word " || echo "$word"
done >"$work/log"
[ ! -s "$work/log" ]
point $? 'and use options that there are'
[ "$n" -eq $plan ]
