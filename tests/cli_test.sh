#!/bin/sh
# The smoeref command as a user meets it: arguments, files, messages, exit statuses.  Prints TAP.
#   SMOEREF   the command (default ./smoeref)
set -u
smoeref=${SMOEREF:-./smoeref}
"$smoeref" --version >/dev/null 2>&1 || { echo "Bail out! $smoeref does not run"; exit 99; }
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
unset NO_COLOR CLICOLOR_FORCE
count=0

ok() { # ok STATUS WHAT: STATUS 0 is a pass
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then echo "ok $count - $2"; else
        echo "not ok $count - $2"
        sed 's/^/# out: /' "$work/out" | head -n 5
        sed 's/^/# err: /' "$work/err" | head -n 5
    fi
}

skip() { # skip WHAT WHY
    count=$((count + 1))
    echo "ok $count - $1 # SKIP $2"
}

run() { # run ARGUMENT...: the command's streams to files, its status to $status
    "$smoeref" "$@" >"$work/out" 2>"$work/err"
    status=$?
}

says() { grep -qF -e "$1" "$work/err"; }
prints() { grep -qF -e "$1" "$work/out"; }
one_line() { [ "$(wc -l <"$work/err")" -eq 1 ]; }

exits() { # exits WHAT STATUS ARGUMENT...
    what=$1
    expected=$2
    shift 2
    run "$@"
    [ "$status" -eq "$expected" ]
    ok $? "$what: exit status $expected (was $status)"
}

refuses() { # refuses WHAT STATUS TEXT ARGUMENT...: that status, one line on stderr that has TEXT, nothing on stdout
    what=$1
    expected=$2
    text=$3
    shift 3
    run "$@"
    [ "$status" -eq "$expected" ] && one_line && says "$text" && says 'smoeref' && [ ! -s "$work/out" ]
    ok $? "$what: exit status $expected and one line: $text"
}

# --- usage ------------------------------------------------------------------------------------------------------------

exits 'no command' 2
grep -q '^usage:' "$work/err" && [ ! -s "$work/out" ]
ok $? 'no command: usage on standard error'
exits '--help' 0 --help
prints 'Exit status: 0 all pass, 1 a verdict failed, 2 usage, 3 an input file is unusable, or an output cannot be written,' && [ ! -s "$work/err" ]
ok $? '--help: says what the exit statuses mean'
exits '--version' 0 --version
prints 'smoeref 0.' && prints 'compiler' && prints 'self-test   passed'
ok $? '--version: version, compiler and the self-test'
for command in list explain variants eval gen vectors diff ver check gradcheck cka rates; do
    exits "$command --help" 0 "$command" --help
    prints "usage: smoeref $command" && prints '--version' && prints ' 2 usage, 3 an input file is unusable, or an output cannot be written,' && [ ! -s "$work/err" ]
    ok $? "$command --help: on standard output"
    exits "$command --version" 0 "$command" --version
done
run check --help
cp "$work/out" "$work/help"
exits 'help COMMAND' 0 help check
cmp -s "$work/out" "$work/help" && [ ! -s "$work/err" ]
ok $? 'help check: the same as check --help'
refuses 'help of an unknown command' 2 "unknown command 'chek'; did you mean 'check'?" help chek
refuses 'an unknown name in --exec' 2 'both {prompts} and {answers}, found {promt}' check --exec 'mine {promt} {answer}'
run gradcheck --help
! prints '--break'
ok $? 'gradcheck --help: the negative control is hidden'

refuses 'unknown command' 2 "unknown command 'evla'; did you mean 'eval'?" evla
refuses 'unknown command, nothing near' 2 "unknown command 'xyzzyx' (see smoeref --help)" xyzzyx
refuses 'unknown option' 2 "unknown option '--sute'; did you mean '--suite'?" gen --sute core --out "$work/x"
refuses 'unknown operation' 2 "unknown operation 'gate.wieghts'; did you mean 'gate.weights'?" explain gate.wieghts
refuses 'the end of an operation' 2 "unknown operation 'switch'; did you mean 'balance.switch'?" explain switch
refuses 'a case for an operation' 2 "'gate.weights.random' is a case of gate.weights: --where case=random" gen gate.weights.random --out "$work/x"
refuses 'one of two operations without a case' 2 'there is no case of balance.switch in the suite asked for that --where leaves' \
    gen gate.weights balance.switch --where capacity=977 --out "$work/x"
refuses 'a condition on a number' 2 "--where capacity=none: capacity is never 'none', expected a whole number" \
    gen gate.weights balance.switch --where capacity=none --out "$work/x"
refuses 'a condition on a whole number' 2 "k is never '2.5', expected a whole number" gen gate.weights --where k=2.5 --out "$work/x"
refuses 'a case that there is not' 2 "--where case=randum: these operations have no case 'randum'" gen gate --where case=randum --out "$work/x"
refuses 'unknown suite' 2 "unknown suite 'cor'; did you mean 'core'?" gen --suite smoke,cor --out "$work/x"
refuses 'unknown precision' 2 "unknown precision 'f31'; did you mean 'f32'?" gen --precision f31 --out "$work/x"
refuses 'option without its value' 2 '--out needs a value: DIR' gen --out
refuses 'a value for a flag' 2 '--json takes no value' list --json=yes
refuses 'no folder' 2 '--out DIR is missing' gen
refuses 'no input' 2 '--in FILE is missing' eval gate.weights --out "$work/x"
refuses 'no output' 2 '--out FILE is missing' eval gate.weights --in "$work/x"
refuses 'no operation' 2 'which operation?' explain
refuses 'seed' 2 "--seed is '-1'" gen --seed -1 --out "$work/x"
refuses 'seed beyond 2^53' 2 "--seed is '9007199254740992'" gen --seed 9007199254740992 --out "$work/x"
refuses 'jobs' 2 "--jobs is '0'" gen --jobs 0 --out "$work/x"
refuses 'two operations' 2 'one operation at a time' eval gate.weights gate.linear --in a --out b
[ ! -e "$work/x" ]
ok $? 'usage errors write nothing'

# --- list and explain ---------------------------------------------------------------------------------------------------

run list
[ "$status" -eq 0 ] && prints 'gate.weights' && prints 'index[T,K]' && prints 'k=2'
ok $? 'list: operations with tensors and parameters'
run list balance
[ "$status" -eq 0 ] && prints 'balance.switch' && prints 'balance.zloss' && ! prints 'gate.weights'
ok $? 'list CHAPTER: only that chapter'
run list gate.dropout
[ "$status" -eq 0 ] && prints 'frozen gate' && ! prints 'gate.dropout.schedule'
ok $? 'list OP: that operation, not those whose names go on'
run list --json
if [ -n "${PYTHON:-}" ]; then
    "$PYTHON" - "$work/out" <<'END' >>"$work/err" 2>&1
import json, sys
d = json.load(open(sys.argv[1]))
ops = {o["id"]: o for o in d["operations"]}
o = ops["gate.weights"]
assert [t["name"] for t in o["inputs"]] == ["r"] and o["inputs"][0]["shape"] == ["T", "N"]
out = {t["name"]: t for t in o["outputs"]}
assert out["index"]["kind"] == "decision" and out["index"]["dtype"] == "I64" and not out["index"]["optional"]
assert out["weight"]["differentiable"] and out["margin"]["optional"]
p = {q["name"]: q for q in o["parameters"]}
assert p["order"]["values"][0] == p["order"]["default"] == "topk-softmax"
assert ops["balance.switch"]["variants"] and ops["balance.switch"]["cases"]
r, mask = ops["balance.switch"]["inputs"]
assert mask["optional"] and not mask["differentiable"] and not r["optional"] and r["differentiable"]
assert {t["name"]: t["dtype"] for t in ops["layer.dispatch"]["inputs"]} == {"x": "F64", "index": "I64"}
assert {c["name"]: c["suite"] for c in ops["balance.stable"]["cases"]}["alpha"] == "core,adversarial"
assert set(d["precisions"]) == {"f64", "f32", "tf32", "bf16", "f16"}
END
    ok $? 'list --json: what a program needs, as JSON'
else
    skip 'list --json: what a program needs, as JSON' 'no python3 with numpy and torch'
fi
run explain balance.switch
[ "$status" -eq 0 ] && prints 'spec/04-balance.md' && prints 'ref/balance.c' && prints 'LblProbOverTK' && prints 'source'
ok $? 'explain: specification, code, source and known wrong variants'
prints 'tests/check_balance.c: load_by_hand' && prints 'smoe_switch_loss' && prints 'verify/enclosure/twin_balance.c' &&
    prints 'verify/clients/torch/balance.py'
ok $? 'explain: which evidence there is'

run variants balance --class LblProbOverTK
[ "$status" -eq 0 ] && prints 'LblProbOverTK' && prints 'balance.switch with P divided by T*K' && prints 'met in: ' &&
    ! prints 'GradScale' && ! prints 'compete.layer'
ok $? 'variants: one class, in the operations of one chapter'
run variants LblProbOverTK
[ "$status" -eq 0 ] && prints 'balance.switch with P divided by T*K' && ! prints 'GradScale'
ok $? 'variants CLASS'
refuses 'unknown class' 2 "no class 'LblProbOverKT'; did you mean 'LblProbOverTK'?" variants --class LblProbOverKT
if [ -n "${PYTHON:-}" ]; then
    "$smoeref" variants --json >"$work/variants"
    "$smoeref" list --json >"$work/list"
    "$PYTHON" - "$work/variants" "$work/list" <<'END' >>"$work/err" 2>&1
import json, sys
rows, ops = (json.load(open(path)) for path in sys.argv[1:])
assert sorted((r["op"], r["class"]) for r in rows) == sorted((o["id"], v["name"]) for o in ops["operations"] for v in o["variants"])
assert all(r[key] for r in rows for key in ("formula", "effect", "met"))
END
    ok $? 'variants --json: the catalogue that list --json has by operation'
else
    skip 'variants --json: the catalogue that list --json has by operation' 'no python3 with numpy and torch'
fi

# --- gen ---------------------------------------------------------------------------------------------------------------

a=$work/golden
run gen gate.weights balance.switch --suite smoke --out "$a" --seed 3 --precision f64,bf16
[ "$status" -eq 0 ] && [ -s "$a/manifest.json" ] && ls "$a"/gate.weights.*.prompt.safetensors >/dev/null &&
    [ "$(ls "$a" | grep -c 'prompt')" -eq "$(ls "$a" | grep -c 'expected')" ]
ok $? 'gen: prompts, expected values and a manifest'
[ ! -s "$work/err" ]
ok $? 'gen: no progress when piped'
expected=$(ls "$a"/gate.weights.*.expected.safetensors | head -n 1)
for name in weight index d_r radius.weight radius.d_r bound.f64.weight bound.bf16.d_r score.index score_bound.bf16.index; do
    grep -aq "\"$name\"" "$expected" || echo "no tensor $name"
done >"$work/err"
[ ! -s "$work/err" ]
ok $? 'gen: an expected file has values, radii, bounds and scores'
! grep -aq 'bound.f32' "$expected" && ! grep -aq 'bound.[a-z0-9]*.margin' "$expected"
ok $? 'gen: only the bounds asked for, and none for a margin'

run gen gate.weights balance.switch --suite smoke --out "$work/again" --seed 3 --precision bf16,f64 --jobs 3
diff -r "$a" "$work/again" >"$work/out" 2>&1
ok $? 'gen: the same seed gives the same bytes whatever --jobs'
run gen gate.weights balance.switch --suite smoke --out "$work/other" --seed 4 --precision f64,bf16
! diff -r "$a" "$work/other" >/dev/null
ok $? 'gen: another seed gives other cases'
in_suite() { # SUITE CASE NUMBER: so often it has the case
    [ "$("$smoeref" gen balance.stable --stream --suite "$1" | grep -c "^{\"name\": \"balance.stable.$2\"")" -eq "$3" ]
}
in_suite core alpha 1 && in_suite adversarial alpha 1 && in_suite core,adversarial alpha 1 && in_suite smoke alpha 0 &&
    in_suite core random 1 && in_suite adversarial random 0 && in_suite core,adversarial random 1
ok $? 'gen: a case of two suites is in each of them, and once in both together'
run gen balance.switch --suite smoke --out "$work/again" --seed 3 --precision none
[ "$status" -eq 0 ] && ! ls "$work/again" | grep -q '^gate' && ls "$work/again" | grep -q '^balance.switch' && prints 'in place of those that were there'
ok $? 'gen: replaces the cases of a folder that has a manifest, and says so'
! ls -A "$work/again" "$work" | grep -q partial
ok $? 'gen: leaves no unfinished folder'
! grep -aq 'radius\.\|bound\.' "$work"/again/*.expected.safetensors
ok $? 'gen --precision none: values only'
mkdir "$work/empty"
exits 'gen into an empty folder' 0 gen gate.weights --suite smoke --out "$work/empty/" --precision none
mkdir "$work/mine"
echo precious >"$work/mine/notes"
refuses 'a folder that is not golden' 3 'mine: holds files but no manifest.json' gen gate.weights --out "$work/mine"
[ "$(ls -A "$work/mine")" = notes ]
ok $? 'gen: a refused folder is untouched'
refuses 'a file in the place of a folder' 3 'notes: is a file, expected a folder' gen gate.weights --out "$work/mine/notes"
refuses 'no parent' 3 'no/such: cannot be written: the folder that it is to be in does not exist' gen gate.weights --out "$work/no/such"
echo '{"smoeref": 1' >"$work/mine/manifest.json"
refuses 'a folder with a broken manifest' 3 'manifest.json' gen gate.weights --suite smoke --precision none --out "$work/mine"
[ "$(ls -A "$work/mine" | tr '\n' ' ')" = 'manifest.json notes ' ]
ok $? 'gen: a folder with a broken manifest is untouched'
# (Counters of conditions, if it has them, would be lost: its share of `make mcdc` goes nowhere.)
text=$(ulimit -f 0 && exec env LLVM_PROFILE_FILE=/dev/null "$smoeref" gen gate.weights --suite smoke --precision none --out "$work/full" 2>&1)
status=$?
echo "$text" >"$work/err"
[ "$status" -eq 3 ] && one_line && says gate.weights && [ ! -e "$work/full" ] && ! ls -A "$work" | grep -q partial
ok $? 'gen: on a full disk one line, exit status 3 and nothing left'

# The self-check: the twin's balls hold the golden values, and are narrow enough to miss a wrong one.
for what in value gradient decision; do
    refuses "a golden $what that is wrong" 1 'self-check' gen balance.switch gate.weights --suite smoke --break $what --out "$work/x"
done
[ ! -e "$work/x" ]
ok $? 'gen: nothing is left of a run that failed'

# --- gen --text ----------------------------------------------------------------------------------------------------------

printf 'It was a bright cold day in April, and the clocks were striking thirteen.\n' >"$work/text"
run gen --text "$work/text" --precision none --out "$work/t1"
[ "$status" -eq 0 ] && [ "$(ls "$work/t1" | grep -c prompt)" -eq 3 ] && [ -s "$work/t1/layer.smoe.text.prompt.safetensors" ] &&
    [ -s "$work/t1/compete.layer.text.prompt.safetensors" ] && [ -s "$work/t1/compete.layer.text-router.prompt.safetensors" ]
ok $? 'gen --text: the three cases of real text, and no others'
printf 'It was a dark and stormy night; the rain fell in torrents, except at times.\n' >"$work/text"
run gen layer.smoe --text "$work/text" --precision none --out "$work/t2"
[ "$(ls "$work/t2" | grep -c prompt)" -eq 1 ] &&
    ! cmp -s "$work/t1/layer.smoe.text.prompt.safetensors" "$work/t2/layer.smoe.text.prompt.safetensors"
ok $? 'gen OP --text: that operation, and another text gives other activations'
: >"$work/void"
refuses 'an empty text' 3 'void: is empty, expected a text file' gen --text "$work/void" --out "$work/x"
refuses 'no text' 3 'nofile: No such file or directory' gen --text "$work/nofile" --out "$work/x"
refuses 'a folder as text' 3 'not a regular file' gen --text "$work" --out "$work/x"

# --- eval ----------------------------------------------------------------------------------------------------------------

# st FILE HEADER BYTES: a safetensors file; BYTES as printf's octal escapes
st() {
    {
        printf "\\$(printf %03o $((${#2} % 256)))\\$(printf %03o $((${#2} / 256)))\\000\\000\\000\\000\\000\\000"
        printf '%s' "$2"
        printf "$3"
    } >"$1"
}
z='\000\000\000\000\000\000'
one="$z\\360\\077" two="$z\\000\\100" four="$z\\020\\100" nan="$z\\370\\177" inf="$z\\360\\177"
r='"r":{"dtype":"F64","shape":[1,3],"data_offsets":[0,24]}'
meta='"__metadata__":{"op":"gate.weights","parameters":"{\"k\": 2}"}'

st "$work/p" "{$meta,$r}" "$one$two$four"
exits 'eval' 0 eval gate.weights --in "$work/p" --out "$work/y"
grep -aq '"weight"' "$work/y" && grep -aq '"index"' "$work/y" && ! grep -aq '"d_r"' "$work/y"
ok $? 'eval: outputs, and no gradient that was not asked for'
exits 'eval, the operation from the file' 0 eval --in "$work/p" --out "$work/y2"
cmp -s "$work/y" "$work/y2"
ok $? 'eval: the operation from the metadata is the same'
st "$work/p1" "{$r}" "$one$two$four"
refuses '--set K > N' 2 '--set k=9: ' eval gate.weights --in "$work/p" --out "$work/x" --set k=9
refuses '--set K = 0' 2 '--set k=0: ' eval gate.weights --in "$work/p" --out "$work/x" --set k=0
refuses '--set of an unknown parameter' 2 "no parameter 'kk'" eval --in "$work/p" --out "$work/x" --set kk=2
says '--set kk=2: '
ok $? '--set of an unknown parameter: names --set'
refuses '--set of a bad choice' 2 "order is 'sorted', expected topk-softmax|" eval --in "$work/p" --out "$work/x" --set order=sorted
[ ! -e "$work/x" ]
ok $? 'eval: --set that makes no sense writes nothing'
exits 'eval without metadata' 0 eval gate.weights --in "$work/p1" --out "$work/y2" --set k=2
exits 'eval --set' 0 eval gate.weights --in "$work/p" --out "$work/y1" --set k=1
grep -aq '"shape":\[1,1\]' "$work/y1"
ok $? 'eval --set: takes the place of the metadata'
prompt=$(ls "$a"/gate.weights.*.prompt.safetensors | head -n 1)
run eval --in "$prompt" --out "$work/answer"
[ "$status" -eq 0 ] && grep -aq '"d_r"' "$work/answer"
ok $? 'eval: a cotangent asks for gradients'
prompt=$(ls "$a"/balance.switch.*.prompt.safetensors | head -n 1)
exits 'eval --variant' 0 eval --in "$prompt" --out "$work/v" --variant LblProbOverTK
exits 'eval' 0 eval --in "$prompt" --out "$work/v0"
[ -s "$work/v" ] && ! cmp -s "$work/v" "$work/v0"
ok $? 'eval --variant: computes something else'
refuses 'unknown variant' 2 "has no variant 'LblProbOverT'; did you mean 'LblProbOverTK'?" \
    eval --in "$prompt" --out "$work/x" --variant LblProbOverT

bad() { # bad WHAT TEXT HEADER BYTES [ARGUMENT...]: eval refuses that prompt with exit 3, naming the file, writing nothing
    what=$1
    text=$2
    st "$work/bad.st" "$3" "$4"
    shift 4
    refuses_file "$what" "$text" "$@"
}
refuses_file() {
    what=$1
    text=$2
    shift 2
    run eval gate.weights --in "$work/bad.st" --out "$work/x" "$@"
    [ "$status" -eq 3 ] && one_line && says "$text" && says 'bad.st' && [ ! -s "$work/out" ] && ! ls -A "$work" | grep -q '^\.*x'
    ok $? "eval, $what: exit status 3, one line, nothing written: $text"
}
bad 'missing tensor' 'r: missing, expected an input [T,N]' "{$meta}" ''
bad 'unknown tensor' "unknown tensor, expected r d_weight" "{$meta,$r,\"q\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[24,32]}}" "$one$two$four$one"
bad 'wrong rank' 'r: shape [3], expected [T,N]' '{"r":{"dtype":"F64","shape":[3],"data_offsets":[0,24]}}' "$one$two$four"
bad 'wrong shape of a cotangent' 'd_weight: shape [1,1], expected [T,K]' "{$meta,$r,\"d_weight\":{\"dtype\":\"F64\",\"shape\":[1,1],\"data_offsets\":[24,32]}}" "$one$two$four$one"
bad 'wrong type' 'r: type I64, expected F64, F32, BF16 or F16' '{"r":{"dtype":"I64","shape":[1,3],"data_offsets":[0,24]}}' "$one$two$four"
bad 'unknown type' 'r' '{"r":{"dtype":"Q64","shape":[1,3],"data_offsets":[0,24]}}' "$one$two$four"
bad 'NaN' 'r: element 1 is NaN, expected finite numbers' "{$meta,$r}" "$one$nan$four"
bad 'infinity' 'r: element 2 is infinite, expected finite numbers' "{$meta,$r}" "$one$two$inf"
bad 'K > N in the file' 'gate.weights:' '{"__metadata__":{"parameters":"{\"k\": 4}"},'"$r}" "$one$two$four"
bad 'K > N in the file, and --set of something else' 'gate.weights:' '{"__metadata__":{"parameters":"{\"k\": 4}"},'"$r}" "$one$two$four" --set order=softmax-topk
bad 'unknown parameter in the file' "no parameter 'kk'" '{"__metadata__":{"parameters":"{\"kk\": 2}"},'"$r}" "$one$two$four"
bad 'parameters that are no JSON' 'parameters' '{"__metadata__":{"parameters":"k=2"},'"$r}" "$one$two$four"
bad 'unknown field' "unknown key 'opp'" '{"__metadata__":{"opp":"gate.weights"},'"$r}" "$one$two$four"
bad 'another operation' "op is 'gate.linear', expected 'gate.weights'" '{"__metadata__":{"op":"gate.linear"},'"$r}" "$one$two$four"
bad 'truncated data' 'r' "{$meta,$r}" "$one$two"
bad 'bytes after the data' '' "{$meta,$r}" "$one$two$four$one"
bad 'offsets out of range' 'r' '{"r":{"dtype":"F64","shape":[1,3],"data_offsets":[8,32]}}' "$one$two$four"
bad 'offsets that lie about the shape' 'r' '{"r":{"dtype":"F64","shape":[1,3],"data_offsets":[0,16]}}' "$one$two"
bad 'a huge shape' 'r' '{"r":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,24]}}' "$one$two$four"
bad 'overlapping tensors' '' '{"r":{"dtype":"F64","shape":[1,3],"data_offsets":[0,24]},"d_weight":{"dtype":"F64","shape":[1,2],"data_offsets":[8,24]}}' "$one$two$four"
bad 'duplicate names' 'r' "{$r,$r}" "$one$two$four"
bad 'a header that is no JSON' '' '{"r":' ''
: >"$work/bad.st"
refuses_file 'an empty file' ''
printf '\377\377\377\377\377\377\377\177{}' >"$work/bad.st"
refuses_file 'a huge header' ''
printf '\020\000\000' >"$work/bad.st"
refuses_file 'a file cut inside its first eight bytes' ''
printf '\100\000\000\000\000\000\000\000{"r":' >"$work/bad.st"
refuses_file 'a file cut inside its header' ''
rm "$work/bad.st"
refuses_file 'no such file' 'bad.st'
mkdir "$work/bad.st"
refuses_file 'a folder' 'bad.st'

refuses 'an output that cannot be written' 3 'x/y/z' eval gate.weights --in "$work/p" --out "$work/x/y/z"
refuses 'an output that is a folder' 3 "$work/empty" eval gate.weights --in "$work/p" --out "$work/empty"
echo before >"$work/kept"
text=$(ulimit -f 0 && exec env LLVM_PROFILE_FILE=/dev/null "$smoeref" eval --in "$work/p" --out "$work/kept" 2>&1)
status=$?
echo "$text" >"$work/err"
[ "$status" -eq 3 ] && one_line && says kept && [ "$(cat "$work/kept")" = before ] && [ "$(ls -A "$work" | grep -c kept)" -eq 1 ]
ok $? 'eval on a full disk: exit status 3, the old output is whole and nothing half-written is left'
if [ -c /dev/full ]; then
    "$smoeref" list >/dev/full 2>"$work/err"
    [ $? -eq 3 ] && one_line && says 'standard output: cannot write'
    ok $? 'standard output that cannot be written: exit status 3'
else
    skip 'standard output that cannot be written: exit status 3' 'no /dev/full'
fi

# --- gradcheck -------------------------------------------------------------------------------------------------------------

run gradcheck gate.weights balance --suite smoke
[ "$status" -eq 0 ] && prints 'gate.weights.' && prints ' 0 failed' && [ ! -s "$work/err" ]
ok $? 'gradcheck: our gradients pass'
run gradcheck gate.weights balance --suite smoke --break 0.001
[ "$status" -eq 1 ] && prints 'FAILED' && prints ' 0 passed'
ok $? 'gradcheck: a gradient that is off by a thousandth fails'
run gradcheck gate.weights balance --suite smoke --json --break 0.001
prints '"taylor": "failed"' && prints '"adjoint": "failed"' && prints '"twin": "failed"' && ! prints '"pass": true'
ok $? 'gradcheck: each of the three methods sees it'
run gradcheck gate.weights --suite smoke --json
[ "$status" -eq 0 ] && prints '"pass": true' && prints '"slope"'
ok $? 'gradcheck --json'

# --- colour ----------------------------------------------------------------------------------------------------------------

escape=$(printf '\033')
coloured() { tr -d '\r' <"$work/tty" | grep -q "$escape\[[0-9]*m"; }
run list
! grep -q "$escape" "$work/out"
ok $? 'no colour when piped'
if script -qec true /dev/null >/dev/null 2>&1; then
    TERM=xterm script -qec "'$smoeref' list gate" /dev/null >"$work/tty" 2>/dev/null
    coloured
    ok $? 'colour on a terminal'
    TERM=xterm NO_COLOR=1 script -qec "'$smoeref' list gate" /dev/null >"$work/tty" 2>/dev/null
    ! coloured
    ok $? 'no colour on a terminal with NO_COLOR'
else
    skip 'colour on a terminal' 'no script(1)'
    skip 'no colour on a terminal with NO_COLOR' 'no script(1)'
fi

echo "1..$count"
