#!/bin/sh
# Roundoffs apart from the precision: --arithmetic, --elementary, --tensor and the manifest's "roundoff".  Answers with one
# element off by a known amount pass by exactly the roundoffs that explain it.  Prints TAP.  SMOEREF: the command.  PYTHON.
set -u
smoeref=${SMOEREF:-./smoeref}
python=${PYTHON:-python3}
schema=$(cd "$(dirname "$0")/../spec/schema" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
TMPDIR=$work/tmp
export TMPDIR
mkdir "$TMPDIR"
. "$(dirname "$0")/tap.sh"
echo 1..31

# off FILE NAME FACTOR [DTYPE]: the tensor times the factor, in that dtype
cat >"$work/off.py" <<'P'
import json, struct, sys
path, name, factor = sys.argv[1], sys.argv[2], float(sys.argv[3])
raw = open(path, "rb").read()
n = int.from_bytes(raw[:8], "little")
head, data = json.loads(raw[8:8 + n]), raw[8 + n:]
head.pop("__metadata__", None)
t = {k: [v["dtype"], v["shape"], data[slice(*v["data_offsets"])]] for k, v in head.items()}
x = [v * factor for v in struct.unpack("<%dd" % (len(t[name][2]) // 8), t[name][2])]
t[name][2] = struct.pack("<%d%s" % (len(x), "f" if "F32" in sys.argv else "d"), *x)
if "F32" in sys.argv: t[name][0] = "F32"
head, data = {}, b""
for k, (d, s, b) in t.items():
    head[k] = {"dtype": d, "shape": s, "data_offsets": [len(data), len(data) + len(b)]}
    data += b
text = json.dumps(head).encode()
text += b" " * (-len(text) % 8)
open(path, "wb").write(len(text).to_bytes(8, "little") + text + data)
P

op=gate.weights
"$smoeref" gen $op --defaults --where k=2 --out "$work/golden" --precision f64,f32,bf16 >"$work/log" 2>&1 || {
    cat "$work/log"
    exit 1
}
mkdir "$work/right"
for prompt in "$work/golden"/*.prompt.safetensors; do
    name=$(basename "$prompt" .prompt.safetensors)
    "$smoeref" eval $op --in "$prompt" --out "$work/right/$name.safetensors" >"$work/log" 2>&1 || cat "$work/log"
done
fresh() { # fresh TENSOR FACTOR [DTYPE]: golden cases, and answers of which one tensor is off
    rm -rf "$work/g" "$work/a"
    cp -r "$work/golden" "$work/g"
    cp -r "$work/right" "$work/a"
    "$python" "$work/off.py" "$work/a/$op.random.safetensors" "$@"
}
diff_all() { "$smoeref" diff "$work/g" "$work/a" "$@"; }
pass=' passed, 0 failed'
fail=' passed, 1 failed'
small=1.0009765625 # 1 + 2^-10: what bfloat16 explains, and float32 does not

# --- arithmetic and elementary functions ------------------------------------------------------------------------
fresh weight $small
expect 1 "$fail" diff_all --precision f32
point $? 'f32 does not explain 2^-10'
expect 0 "$pass" diff_all --precision bf16
point $? 'bf16 does'
expect 0 "$pass" diff_all --precision f32 --arithmetic bf16
point $? 'arithmetic in bf16 does, stored in f32'
expect 1 "$fail" diff_all --precision f32 --arithmetic f64
point $? 'arithmetic in f64 does not'
expect 0 "$pass" diff_all --precision f32 --elementary 20000ulp
point $? 'an exponential within 20000 ulp of f32 does'
expect 1 "$fail" diff_all --precision f32 --elementary 100ulp
point $? 'one within 100 ulp does not'
fresh weight 1.00000000001
expect 1 "$fail" diff_all --precision f64
point $? 'f64 does not explain 1e-11'
expect 0 "$pass" diff_all --precision f64 --arithmetic f32
point $? 'arithmetic in f32 does, stored in f64'

# --- a tensor of its own ----------------------------------------------------------------------------------------
fresh weight $small
expect 0 "$pass" diff_all --precision f32 --tensor weight=bf16
point $? 'one tensor in bf16, the others in f32'
expect 0 "$pass" diff_all --precision f32 --tensor weight=f32+bf16
point $? 'one tensor computed in bf16, stored in f32'
expect 0 "$pass" diff_all --precision f32 --tensor weight=f32+20000ulp
point $? 'the elementary functions of one tensor'
expect 1 "$fail" diff_all --precision bf16 --tensor weight=f32
point $? 'one tensor in f32, the others in bf16: not explained'
expect 1 "$fail" diff_all --precision f32 --tensor d_r=bf16
point $? 'what is said of another tensor explains nothing'
fresh d_r $small
expect 0 "$pass" diff_all --precision f32 --tensor d_r=bf16
point $? 'a gradient that is kept in bf16'
expect 0 "$pass" diff_all --precision f32 --tensor r=bf16
point $? 'a gradient is kept in what its tensor is kept in'
expect 1 "$fail" diff_all --precision f32 --tensor r=bf16 --tensor d_r=f32
point $? 'unless it has a format of its own'
fresh weight 1 F32
expect 1 'cannot hold the precision f64 that was promised' diff_all
point $? 'F32 where f64 was promised'
expect 0 "$pass" diff_all --tensor weight=f32
point $? 'F32 where f32 was promised for this tensor'

# --- the manifest -----------------------------------------------------------------------------------------------
say() { # say JSON: the manifest's roundoff
    "$python" - "$work/g/manifest.json" "$1" <<'P'
import json, sys
path, text = sys.argv[1:]
m = json.load(open(path))
m["roundoff"] = json.loads(text)
json.dump(m, open(path, "w"))
P
}
fresh weight $small
say '{"tensors": {"weight": "bf16"}}'
expect 0 "$pass" diff_all --precision f32
point $? 'the manifest says it of a tensor'
expect 1 "$fail" diff_all --precision f32 --tensor weight=f32
point $? 'the command line goes before it'
say '{"arithmetic": "bf16", "elementary": "2ulp"}'
expect 0 "$pass" diff_all --precision f32
point $? 'the manifest says it of the arithmetic'
expect 0 'storage f32, arithmetic bf16, elementary functions within 2 ulp' diff_all --precision f32
point $? 'the report says what was assumed'
expect 0 "$pass" "$smoeref" check --cases "$work/g" --precision f32 --quiet \
    --exec "sh -c 'cp $work/a/\$(basename \$1 .prompt.safetensors).safetensors \$2' x {prompt} {answer}" &&
    grep -qF 'judged at precision f32 (storage f32, arithmetic bf16,' "$work/log"
point $? 'check reads it too'
say '{"arithmetic": "f8"}'
expect 3 "expected one of f64, f32, tf32, bf16, f16" diff_all
point $? 'an unknown arithmetic in the manifest'
say '{"tensors": {"nonesuch": "f32"}}'
expect 3 "no operation has a tensor 'nonesuch'" diff_all
point $? 'an unknown tensor in the manifest'
say '{"rounding": "up"}'
expect 3 '"roundoff"' diff_all
point $? 'an unknown field in it'

# --- reports and mistakes ---------------------------------------------------------------------------------------
fresh weight 1
expect 0 "$pass" diff_all --precision bf16 --arithmetic f32 --tensor weight=f32+2ulp --report "$work/r.json" \
    --report "$work/r.html" --report "$work/r.xml" --report "$work/r.tap" --report "$work/r.txt"
for f in html xml tap txt; do
    grep -qF 'weight: storage f32, arithmetic f32, elementary functions within 2 ulp' "$work/r.$f" || echo "not in $f" >>"$work/log"
done
! grep -q '^not in' "$work/log" && "$python" "$here/schema.py" "$schema/report.json" "$work/r.json" >>"$work/log" 2>&1 &&
    "$python" -c "
import json, sys
r = json.load(open(sys.argv[1]))['roundoff']
assert r == {'storage': 'bf16', 'arithmetic': 'f32', 'elementary_ulp': 4.0,
             'tensors': {'weight': {'storage': 'f32', 'arithmetic': 'f32', 'elementary_ulp': 2.0}}}, r" "$work/r.json" 2>>"$work/log"
point $? 'every kind of report says which roundoffs were assumed'
expect 2 "none of these operations has a tensor 'w1'" diff_all $op --tensor w1=f32
point $? 'a tensor of another operation'
expect 2 'has its roundoffs twice' diff_all --tensor weight=f32 --tensor weight=bf16
point $? 'one tensor twice'
expect 2 'at most 8 ulp' diff_all --arithmetic bf16 --elementary 9ulp
point $? 'more ulp than can be bounded'
expect 2 'expected such as 4ulp' diff_all --elementary 4
point $? 'a number that is not in ulp'
