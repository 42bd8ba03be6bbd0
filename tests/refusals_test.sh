#!/bin/sh
# Answers that no implementation should be let through with: whatever is wrong with them, `smoeref diff` and `smoeref check`
# say so in a sentence that names the case and the tensor or the file, with the documented exit status, and neither passes
# them nor crashes.  Prints TAP.  SMOEREF: the command.  PYTHON: an interpreter.
set -u
smoeref=${SMOEREF:-./smoeref}
python=${PYTHON:-python3}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
. "$(dirname "$0")/tap.sh"
plan=31
echo 1..$plan

# The wrong answers: KINDS/KIND/ has what is spoilt of layer.smoe.small beside the right answer to numerics.softmax.small.
#   spoil.py RIGHT STALE KINDS      RIGHT: the folder of right answers; STALE: of those to another seed
cat >"$work/spoil.py" <<'P'
import json, os, shutil, struct, sys
right, other, kinds = sys.argv[1:]
name = "layer.smoe.small.safetensors"
raw = open(right + "/" + name, "rb").read()
size = int.from_bytes(raw[:8], "little")

def get(tensor): return list(struct.unpack("<%dd" % (len(t[tensor][2]) // 8), t[tensor][2]))
def put(tensor, x): t[tensor][2] = struct.pack("<%dd" % len(x), *x)
def one(tensor, value): x = get(tensor); x[1] = value; put(tensor, x)
def columns(tensor): # as bytes
    rows, width = t[tensor][1]
    x = get(tensor)
    put(tensor, [x[i * width + j] for j in range(width) for i in range(rows)])
def experts(tensor): # the first axis of a weight's gradient, one further
    x, count = get(tensor), t[tensor][1][0]
    step = len(x) // count
    put(tensor, x[step:] + x[:step])
def swap(a, b): t[a][2], t[b][2] = t[b][2], t[a][2]
def narrow(tensor):
    x = get(tensor)
    t[tensor][0], t[tensor][2] = "F32", struct.pack("<%df" % len(x), *x)

for kind, code in {
    "right": '',
    "nan": 'one("y", float("nan"))',
    "nan-gradient": 'one("d_wr", float("nan"))',
    "inf": 'one("y", float("inf"))',
    "minus-inf": 'one("d_x", float("-inf"))',
    "all-nan": 'for k in t: t[k][0] == "F64" and put(k, [float("nan")] * len(get(k)))',
    "shape": 't["y"][1] = [len(get("y"))]',
    "transposed-shape": 't["y"][1] = t["y"][1][::-1]',
    "transposed": 'columns("y")',
    "experts": 'experts("d_w1")',
    "index": 'i = struct.unpack("<%dq" % (len(t["index"][2]) // 8), t["index"][2]); '
             't["index"][2] = struct.pack("<%dq" % len(i), *((e + 1) % 4 for e in i))',
    "swapped": 'swap("y", "d_x")',
    "stale": 'cut = open(other + "/" + name, "rb").read()',
    "truncated": 'cut = raw[:-8]',
    "truncated-header": 'cut = raw[:8 + size // 2]',
    "extra": 't["extra"] = t["y"]',
    "missing": 'del t["d_w2"]',
    "f32": 'narrow("y")',
    "floats-for-indices": 't["index"][0] = "F64"',
    "empty": 'cut = b""',
    "nothing-inside": 't = {}',
    "garbage": 'cut = bytes(range(256)) * 8',
    "text": 'cut = b"y = 1.0\\n" * 50',
    "folder": 'os.mkdir(answer)',
    "link": 'os.symlink("nowhere", answer)',
    "silent": 'answer = None',
}.items():
    head = json.loads(raw[8:8 + size])
    t = {k: [v["dtype"], v["shape"], raw[8 + size:][slice(*v["data_offsets"])]] for k, v in head.items() if k != "__metadata__"}
    answer, cut = kinds + "/" + kind + "/" + name, None
    os.makedirs(kinds + "/" + kind)
    shutil.copy(right + "/numerics.softmax.small.safetensors", kinds + "/" + kind)
    exec(code)
    if cut is None:
        head, data = {}, b""
        for k, (dtype, shape, b) in t.items():
            head[k] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(b)]}
            data += b
        text = json.dumps(head).encode()
        text += b" " * (-len(text) % 8)
        cut = len(text).to_bytes(8, "little") + text + data
    if answer and not os.path.lexists(answer):
        open(answer, "wb").write(cut)
P

ops='layer.smoe numerics.softmax'
case=layer.smoe.small
answers() { # answers SEED FOLDER: the reference's own
    # shellcheck disable=SC2086
    "$smoeref" gen $ops --suite smoke --seed "$1" --precision f64 --out "$work/golden$1" >"$work/log" 2>&1 || cat "$work/log"
    mkdir -p "$2"
    for prompt in "$work/golden$1"/*.prompt.safetensors; do
        "$smoeref" eval --in "$prompt" --out "$2/$(basename "$prompt" .prompt.safetensors).safetensors" >"$work/log" 2>&1 || cat "$work/log"
    done
}
answers 1 "$work/right"
answers 2 "$work/stale"
"$python" "$work/spoil.py" "$work/right" "$work/stale" "$work/kinds" >"$work/log" 2>&1 || cat "$work/log"

# A candidate that hands in the answer of a kind, then runs a command: hand-in.sh KIND COMMAND ANSWER
cat >"$work/hand-in.sh" <<'P'
file=${0%/*}/kinds/$1/${3##*/}
if [ -e "$file" ] || [ -L "$file" ]; then cp -RP "$file" "$3"; fi
case $3 in *layer.smoe*) eval "$2" ;; esac
P
run_kind() { # run_kind KIND [COMMAND [ARGUMENT...]]
    kind=$1 command=${2:-:}
    shift $(($# < 2 ? $# : 2))
    "$smoeref" check "$@" --cases "$work/golden1" --exec "sh '$work/hand-in.sh' $kind '$command' {answer} {prompt}"
}
diff_kind() { "$smoeref" diff "$work/golden1" "$work/kinds/$1"; }

one_failed() { # of the two cases that one alone fails, by name
    grep -q "^FAIL $case: " "$work/log" && grep -q '^1 passed, 1 failed' "$work/log" || { echo 'not this case alone' >>"$work/log"; return 1; }
}

refused() { # refused KIND TEXT DESCRIPTION: by both commands, with exit status 1 and TEXT
    expect 1 "$2" diff_kind "$1" && one_failed && expect 1 "$2" run_kind "$1" && one_failed
    point $? "$3"
}

expect 0 '2 passed, 0 failed' diff_kind right && expect 0 '2 passed, 0 failed' run_kind right
point $? 'the control: right answers pass'

refused nan 'y[0,1] = nan' 'NaN in an output'
refused nan-gradient 'd_wr[0,1] = nan' 'NaN in a gradient'
refused all-nan 'NaN' 'NaN everywhere'
refused inf 'y[0,1] = inf' 'Inf'
refused minus-inf 'd_x[0,1] = -inf' '-Inf'
refused shape "'y' has shape [24], expected [4,6]" 'a wrong shape'
refused transposed-shape "'y' has shape [6,4], expected [4,6]" 'a transposed shape'
refused transposed 'y is golden transposed' 'a transposed tensor of the right shape'
refused experts 'd_w1 is golden with its first axis in another order: (1 2 3 0)' 'permuted experts in a gradient'
refused index 'index' 'permuted experts in the choice'
refused swapped 'y is what d_x should be: were the two exchanged?' 'swapped tensors'
refused stale "$case" 'a stale file: the right answer to another seed'
refused truncated "$case.safetensors" 'a truncated file'
refused truncated-header "$case.safetensors" 'a file truncated in its header'
refused extra "'extra' is unknown" 'an extra tensor'
refused missing "'d_w2' is missing" 'a missing tensor'
refused f32 "'y' is F32, which cannot hold the precision f64 that was promised" 'f32 where f64 was promised'
refused floats-for-indices "'index' is F64, expected I64" 'floats for indices'
refused empty "$case.safetensors" 'an empty file'
refused nothing-inside "'y' is missing" 'a file without tensors'
refused garbage "$case.safetensors" 'garbage'
refused text "$case.safetensors" 'text'
refused folder "$case" 'a folder in the place of the file'
refused link "$case" 'a link that leads nowhere'
refused silent 'there is no answer' 'no file'

expect 1 'ended with exit status 9' run_kind right 'exit 9' && one_failed
point $? 'a right answer and exit status 9'
expect 1 'ended by signal 11' run_kind right 'kill -SEGV $$' && one_failed
point $? 'a right answer and a crash'
hangs() { # hangs KIND: of the one case nothing else is said than that
    expect 1 'the program was stopped after 1 s (--timeout)' run_kind "$1" 'sleep 600' layer.smoe --timeout 1 &&
        grep -q "^FAIL $case: " "$work/log" && grep -q '^0 passed, 1 failed' "$work/log"
}
hangs right
point $? 'a right answer and no end'
hangs truncated-header
point $? 'half an answer and no end'

# And the same for one process that answers all cases.
all() { # all KIND [COMMAND]
    "$smoeref" check --cases "$work/golden1" --exec "sh -c 'cp -RP \"\$0\"/* \"\$2\"; ${2:-:}' '$work/kinds/$1' {prompts} {answers}"
}
expect 0 '2 passed, 0 failed' all right && expect 1 'y[0,1] = nan' all nan && one_failed &&
    expect 1 "$case.safetensors" all truncated && one_failed && expect 1 'there is no answer' all silent && one_failed &&
    expect 1 'ended with exit status 9' all right 'exit 9' && grep -q '^0 passed, 2 failed' "$work/log"
point $? 'one process for all cases'
[ "$n" -eq $plan ]
