#!/bin/sh
# The sample clients of verify/clients against the command: right ones pass, wrong ones fail, one bent element is seen.
# Prints TAP.  SMOEREF: the command.  PYTHON: an interpreter with NumPy and PyTorch.
set -u
smoeref=${SMOEREF:-./smoeref}
python=${PYTHON:-python3}
clients=$(cd "$(dirname "$0")/../verify/clients" && pwd)
layer_ops='gate.weights layer.smoe balance.switch balance.zloss compete.route compete.distill compete.diversity compete.layer'
wrong='double_softmax prob_over_tk diversity_square softmax_selected weights_softmax_scores target_not_detached
       first_choice_only combine_grad_none tie_order two_at_once'

if ! "$python" -c 'import numpy, torch' 2>/dev/null; then
    echo "1..0 # SKIP $python has no NumPy and PyTorch"
    exit 0
fi
export PYTHONDONTWRITEBYTECODE=1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
echo 1..34
n=0
point() { # point STATUS DESCRIPTION
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else
        echo "not ok $n - $2"
        tail -n 40 "$work/log" | sed 's/^/# /'
    fi
}

expect() { # expect STATUS COMMAND...: 0 if the command's status is STATUS
    wanted=$1
    shift
    "$@" >"$work/log" 2>&1
    got=$?
    [ "$got" -eq "$wanted" ] || { echo "exit status $got instead of $wanted: $*" >>"$work/log"; return 1; }
}

judge() { # judge CASES CLIENT PRECISION [OP...]
    cases=$1
    client=$2
    promised=$3
    shift 3
    "$smoeref" check "$@" --cases "$cases" --precision "$promised" --quiet \
        --exec "'$python' '$clients/$client' {prompts} {answers}"
}

# Whatever is registered, the PyTorch client computes.
covers() {
    "$smoeref" list --json >"$work/list.json" || return 1
    "$python" - "$clients/torch" "$work/list.json" >"$work/log" 2>&1 <<'P'
import json, sys
sys.path.insert(0, sys.argv[1])
import client
listing = json.load(open(sys.argv[2]))
missing = [o["id"] for o in listing["operations"] if o["id"] not in client.OPERATIONS]
if missing:
    sys.exit("not in the PyTorch client: " + ", ".join(missing))
P
}
covers
point $? 'every registered operation is in the PyTorch client'

for seed in 1 2; do
    cases=$work/cases$seed
    expect 0 "$smoeref" gen --suite smoke,core,adversarial,large --seed $seed --out "$cases" --precision f64,f32,bf16
    point $? "every suite is generated: seed $seed"
    for precision in f64 f32 bf16; do
        expect 0 judge "$cases" torch/client.py $precision
        point $? "the PyTorch client passes on every suite: seed $seed, $precision"
        # shellcheck disable=SC2086
        expect 0 judge "$cases" numpy/client.py $precision ${layer_ops% compete.distill*} ${layer_ops#*compete.distill} &&
            expect 0 judge "$cases" numpy/client.py $precision compete.distill --where version=2 --where terms=both
        point $? "the NumPy client passes on every suite: seed $seed, $precision"
    done
done
for defect in $wrong; do
    # shellcheck disable=SC2086
    expect 1 judge "$work/cases1" "wrong/$defect.py" f32 $layer_ops
    point $? "wrong/$defect.py fails"
done

# Two mistakes at once: where no single one explains the failures, both are named.
expect 1 judge "$work/cases1" wrong/two_at_once.py f64 compete.layer &&
    grep -q 'failing cases equal two at once, .*: LblProbOverTK+LblGrad;' "$work/log"
point $? 'two mistakes at once are named'

# One process a case, the precision taken from the environment that check sets.
expect 0 "$smoeref" check layer.smoe --suite smoke --precision bf16 --quiet --exec "'$python' '$clients/torch/client.py' {prompt} {answer}"
point $? 'a process for each case'
# The same from Python, in one call: right answers, wrong ones with the report, and a mistake in the call.
"$python" - "$clients" "$smoeref" >"$work/log" 2>&1 <<'P'
import importlib.util, os, sys
clients, command = sys.argv[1:]
sys.path.insert(0, clients)
import smoeref_io
spec = importlib.util.spec_from_file_location("client", os.path.join(clients, "numpy", "client.py"))
client = importlib.util.module_from_spec(spec)
spec.loader.exec_module(client)
smoeref_io.check(client.answer, ["balance.switch", "gate.weights"], suite="smoke", command=command)

def halved(*prompt):
    return {name: value / 2 if name == "d_r" else value for name, value in client.answer(*prompt).items()}

try:
    smoeref_io.check(halved, ["balance.switch"], suite="smoke", where=["k=2"], command=command)
except AssertionError as report:
    assert "GradScale" in str(report) and "0 passed, 1 failed" in str(report), report
else:
    sys.exit("half of the gradient passes")
try:
    smoeref_io.check(client.answer, ["balance.swich"], command=command)
except RuntimeError as reason:
    assert "did you mean 'balance.switch'" in str(reason), reason
else:
    sys.exit("an unknown operation passes")
def lost(*prompt):
    return {**client.answer(*prompt), "d_r": None}
for wrong, slip in ((lost, "d_r: the array is None"), (lambda *prompt: None, "expected a dict of arrays")):
    try:
        smoeref_io.check(wrong, "balance.switch", suite=["smoke"], command=command)
    except TypeError as reason:
        assert slip in str(reason), reason
    else:
        sys.exit("passes: " + slip)
P
point $? 'one call from Python'
# The same with the imports done once: the same bytes, the program's own exit status, no server when nothing is asked of it.
one=$(ls "$work"/cases1/compete.layer.*.prompt.safetensors | head -n 1)
"$python" "$clients/torch/client.py" "$one" "$work/cold.safetensors" --precision f32
mkdir "$work/warm"
for run in warm again; do
    SMOEREF_WARM=1 TMPDIR="$work/warm" "$python" "$clients/torch/client.py" "$one" "$work/$run.safetensors" --precision f32
done
expect 0 cmp "$work/cold.safetensors" "$work/warm.safetensors" && expect 0 cmp "$work/cold.safetensors" "$work/again.safetensors"
point $? 'a warm interpreter answers the same bytes'
[ "$(ls "$work"/warm/smoeref-warm-*/*.sock | wc -l)" -eq 1 ]
point $? 'and it was one interpreter'
SMOEREF_WARM=1 expect 2 "$python" "$clients/torch/client.py"
point $? 'a warm interpreter passes the exit status on'

# One element of one tensor of one case moved by a part in a million: the right answers pass, the bent ones do not.
"$python" "$clients/torch/client.py" "$work/cases1" "$work/answers" --precision f64
expect 0 "$smoeref" diff "$work/cases1" "$work/answers" --precision f64 --quiet
point $? 'answers computed beforehand pass'
for tensor in y d_w1; do
    cp -r "$work/answers" "$work/bent"
    "$python" - "$clients" "$work/bent" $tensor <<'P'
import glob, sys
sys.path.insert(0, sys.argv[1])
import smoeref_io
path = sorted(glob.glob(sys.argv[2] + "/layer.smoe*.safetensors"))[0]
tensors, _ = smoeref_io.read(path)
bent = tensors[sys.argv[3]].copy()
at = abs(bent).argmax()
bent.flat[at] *= 1 + 1e-6
smoeref_io.write(path, {**tensors, sys.argv[3]: bent}, "F64")
P
    expect 1 "$smoeref" diff "$work/cases1" "$work/bent" --precision f64 --quiet
    point $? "one element of $tensor bent by 1e-6 fails"
    rm -rf "$work/bent"
done
