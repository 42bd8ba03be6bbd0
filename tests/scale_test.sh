#!/bin/sh
# `smoeref diff` on files larger than the memory that it may have: judged in pieces, with the verdict that a case in memory
# gets.  Prints TAP.  SMOEREF: the command.  PYTHON: an interpreter.
set -u
smoeref=${SMOEREF:-./smoeref}
python=${PYTHON:-python3}
top=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
TMPDIR=$work/tmp
export TMPDIR
mkdir "$TMPDIR"
. "$(dirname "$0")/tap.sh"
plan=38
echo 1..$plan

cat >"$work/files.py" <<'P'
"""Reading and writing safetensors and manifests with nothing but the standard library."""
import hashlib, json, os, struct, sys
BLOCK = 1 << 20

def read(path):
    raw = open(path, "rb").read()
    n = int.from_bytes(raw[:8], "little")
    head = json.loads(raw[8:8 + n])
    head.pop("__metadata__", None)
    return {k: [v["dtype"], v["shape"], raw[8 + n:][slice(*v["data_offsets"])]] for k, v in head.items()}

def write(path, tensors, metadata=None, sparse=False):
    """tensors: name -> [dtype, shape, bytes]; sparse: [dtype, shape, size] of zeros, which take no room on the disk."""
    head, at = ({"__metadata__": metadata} if metadata else {}), 0
    for name, (dtype, shape, data) in tensors.items():
        size = data if sparse else len(data)
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        if sparse:
            f.truncate(8 + len(text) + at)
        else:
            for _, _, data in tensors.values(): f.write(data)

def digests(path):
    whole, blocks = hashlib.sha256(), []
    with open(path, "rb") as f:
        while block := f.read(BLOCK):
            whole.update(block)
            blocks.append(hashlib.sha256(block).hexdigest())
    return whole.hexdigest(), blocks

def manifest(folder, name, op, parameters, blocks=True):
    of = {w: digests(f"{folder}/{name}.{w}.safetensors") for w in ("prompt", "expected")}
    case = {"name": name, "op": op, "parameters": parameters, "flags": [], "sha256": {w: of[w][0] for w in of}}
    if blocks: case["blocks"] = {w: of[w][1] for w in of}
    json.dump({"smoeref": "0.1.0", "suite": "large", "seed": 1, "cases": [case]}, open(f"{folder}/manifest.json", "w"))

def softmax(golden, answers, rows, columns, sparse=False):
    """A case of numerics.softmax whose golden values, radii and bounds are made up: the verdict is all that counts here."""
    shape, size = [rows, columns], rows * columns * 8
    for folder in golden, answers: os.makedirs(folder, exist_ok=True)
    count = rows * columns
    if sparse: value = bound = size
    else:
        value = struct.pack("<%dd" % count, *(float(i % 1000) for i in range(count)))
        bound = struct.pack("<d", 0.25) * count
    full = lambda data: ["F64", shape, data]
    write(f"{golden}/c.prompt.safetensors", {"z": full(value), "d_p": full(value)},
          {"op": "numerics.softmax", "parameters": "{}", "case": "c"}, sparse)
    write(f"{golden}/c.expected.safetensors",
          {x + t: full(bound if x else value) for t in ("p", "d_z") for x in ("", "radius.", "bound.f64.")}, None, sparse)
    write(f"{answers}/c.safetensors", {"p": full(value), "d_z": full(value)}, None, sparse)
    manifest(golden, "c", "numerics.softmax", {})
P
py() { PYTHONPATH=$work "$python" -c "from files import *
$1"; }

# --- the same verdict ------------------------------------------------------------------------------------------------
"$smoeref" gen gate.weights layer.smoe numerics.softmax balance.switch --suite core --precision f32 --out "$work/g" \
    >"$work/log" 2>&1 || cat "$work/log"
mkdir "$work/a" "$work/w"
py '
import glob, random
random.seed(1)
golden = lambda name: name.split(".")[0] not in ("radius", "bound", "score", "score_bound")
for i, path in enumerate(sorted(glob.glob("'"$work"'/g/*.expected.safetensors"))):
    name = os.path.basename(path).replace(".expected", "")
    t = {k: v for k, v in read(path).items() if golden(k)}
    write("'"$work"'/a/" + name, t)
    for j, (tensor, (dtype, shape, data)) in enumerate(t.items()):
        n = len(data) // 8
        if n == 0: continue
        x = list(struct.unpack(("<%dq" if dtype == "I64" else "<%dd") % n, data))
        if dtype == "I64" and i % 3 == 0: x[random.randrange(n)] += 1
        if dtype == "F64" and (i + j) % 4 == 0: x[random.randrange(n)] += random.choice([1e-7, 1e-3, 1e300])
        if dtype == "F64" and (i + j) % 9 == 0: x[random.randrange(n)] = random.choice([float("nan"), float("inf"), -float("inf")])
        t[tensor][2] = struct.pack(("<%dq" if dtype == "I64" else "<%dd") % n, *x)
    if i % 13 == 1: t["unknown"] = ["F64", [1], bytes(8)]
    if i % 17 == 2: t.pop(random.choice(list(t)))
    if i % 11 == 3: t[random.choice(list(t))][1].insert(0, 1)
    if i % 19 != 4: write("'"$work"'/w/" + name, t)
    if i % 19 == 5: open("'"$work"'/w/" + name, "r+b").truncate(50)
' >"$work/log" 2>&1 || cat "$work/log"
both() { # both ANSWERS: judged in memory and in pieces
    for way in 32 0; do
        "$smoeref" diff "$work/g" "$1" --precision f32 --in-memory $way --report "$work/$way.json" --report "$work/$way.html" \
            --report "$work/$way.xml" --report "$work/$way.txt" >"$work/out.$way" 2>"$work/log" || [ $? -eq 1 ]
    done
}
both "$work/a"
same=0
for f in json html xml txt; do cmp "$work/32.$f" "$work/0.$f" >>"$work/log" 2>&1 || same=1; done
grep -q ' passed, 0 failed' "$work/out.0" || same=1
point $same 'right answers: the same reports, to the byte, in pieces as in memory'

both "$work/w"
cat >"$work/compare.py" <<'P'
"""Are two JSON reports the same but for what a diagnosis adds, which a case in pieces does not get?"""
import json, sys
def strip(path):
    report = json.load(open(path))
    report.pop("operations")
    for case in report["cases"]:
        case.pop("equals")
        case["details"] = [d for d in case["details"] if not d.startswith("not diagnosed") and (d[:4] != "    " or "input" in d)]
        for tensor in case["tensors"]: tensor.pop("factors")
    return report
a, b = map(strip, sys.argv[1:])
wrong = [x["name"] for x, y in zip(a["cases"], b["cases"]) if x != y]
print(len(a["cases"]), "cases,", a["failed"], "fail,", wrong, "differ")
sys.exit(wrong != [] or a != b or a["failed"] < 30)
P
"$python" "$work/compare.py" "$work/32.json" "$work/0.json" >"$work/log" 2>&1
point $? 'wrong answers of many kinds: the same verdicts, elements and sentences in pieces as in memory'
"$smoeref" diff "$work/g" "$work/w" --precision f32 --in-memory 0 --jobs 1 --report "$work/one.json" >/dev/null 2>&1
"$smoeref" diff "$work/g" "$work/w" --precision f32 --in-memory 0 --jobs 7 --report "$work/seven.json" >/dev/null 2>&1
cmp "$work/one.json" "$work/seven.json" >"$work/log" 2>&1
point $? 'any number of threads gives the same report'
expect 1 'not diagnosed: its files are larger than 0 MiB (--in-memory)' \
    "$smoeref" diff "$work/g" "$work/w" --precision f32 --in-memory 0
point $? 'a case in pieces says that it is not diagnosed'
expect 1 'not diagnosed' "$smoeref" diff "$work/g" "$work/w" --precision f32
point $((! $?)) '... and a small one is'
expect 2 "--in-memory is 'much', expected a number of MiB" "$smoeref" diff "$work/g" "$work/a" --in-memory much
point $? '--in-memory takes a number'

# --- the edges of pieces ---------------------------------------------------------------------------------------------
rows=409 columns=1283 # 524,747 elements: two pieces of 262,144 and some, no multiple of a block of 16,384 or of 256
py "softmax('$work/lg', '$work/la', $rows, $columns)" >"$work/log" 2>&1
large() { "$smoeref" diff "$work/lg" "$work/lb" --in-memory 1 "$@"; }
spoil() { # spoil TENSOR ELEMENT VALUE
    mkdir -p "$work/lb"
    py "
t = read('$work/la/c.safetensors'); b = bytearray(t['$1'][2]); struct.pack_into('<d', b, 8 * $2, float('$3')); t['$1'][2] = bytes(b)
write('$work/lb/c.safetensors', t)"
}
spoil p 0 0.25
expect 0 '1 passed, 0 failed' large
point $? 'a large case passes, an element at its bound included'
last=$((rows * columns - 1))
spoil d_z $last 1e9
expect 1 "d_z[$((rows - 1)),$((columns - 1))] = 1e+09, golden $((last % 1000)), bound 0.25" large
point $? 'the last element, in an incomplete block, fails'
failed=0
for e in 262143 262144 16383 16384 255 256; do
    spoil p $e nan
    expect 1 "p[$((e / columns)),$((e % columns))] = nan" large && grep -q '(1 of 524747 elements fail)' "$work/log" || failed=1
done
point $failed 'a NaN on either side of a piece, a block and a vector of elements fails, alone'
spoil p 300000 "$((300000 % 1000)).25001"
expect 1 'p[233,1061] = 0.25001, golden 0, bound 0.25: off by 0.25, 1 times the bound' large
point $? 'an element just beyond its bound fails'
spoil p 300000 1
py "
t = read('$work/lb/c.safetensors'); b = bytearray(t['p'][2]); struct.pack_into('<d', b, 8 * 400000, 1.0); t['p'][2] = bytes(b)
write('$work/lb/c.safetensors', t)"
expect 1 'p[233,1061] = 1, golden 0, bound 0.25: off by 1, 4 times the bound (2 of 524747 elements fail)' large --jobs 5
point $? 'of elements that are equally wrong the first is shown, whoever judged it'
spoil p 0 0
py "
t = read('$work/lb/c.safetensors')
n = len(t['p'][2]) // 8
for name in t: t[name] = ['F16', t[name][1], struct.pack('<%de' % n, *struct.unpack('<%dd' % n, t[name][2]))]
write('$work/lb/c.safetensors', t)
t = read('$work/lg/c.expected.safetensors')
for name in list(t): t[name.replace('f64', 'f16')] = t.pop(name)
os.makedirs('$work/hg', exist_ok=True)
write('$work/hg/c.expected.safetensors', t)
os.system('cp $work/lg/c.prompt.safetensors $work/hg')
manifest('$work/hg', 'c', 'numerics.softmax', {})"
expect 0 '1 passed, 0 failed' "$smoeref" diff "$work/hg" "$work/lb" --in-memory 1 --precision f16
point $? 'F16 elements are widened exactly'
expect 1 "'p' is F16, which cannot hold the precision f64" large
point $? '... and are no F64'

# --- digests ---------------------------------------------------------------------------------------------------------
spoil p 0 0
flip() { # flip FILE POSITION: from the end if negative
    py "
with open('$1', 'r+b') as f:
    f.seek($2, 2 if $2 < 0 else 0); b = f.read(1); f.seek(-1, 1); f.write(bytes([b[0] ^ 1]))"
}
expected=$work/lg/c.expected.safetensors
flip "$expected" -9
expect 3 'c.expected.safetensors: has changed since the manifest was written (SHA-256 of block' large
point $? 'a byte of a bound in the last block that changed is noticed'
expect 0 '1 passed, 0 failed' large --verified
point $? 'but not looked for with --verified'
flip "$expected" -9
size=$((rows * columns * 8))
flip "$expected" $((size + size / 2))
expect 0 '1 passed, 0 failed' large && expect 1 'FAIL' "$smoeref" vectors verify "$work/lg"
point $? 'of a large case the blocks that a verdict rests on are digested; vectors verify digests all'
flip "$expected" $((size + size / 2))
expect 0 ' 0 wrong files' "$smoeref" vectors verify "$work/lg"
point $? 'vectors verify agrees with both digests'
flip "$work/lg/c.prompt.safetensors" 30
expect 3 'c.prompt.safetensors: ' large
point $? 'a byte in the header of the prompt that changed is noticed'
flip "$work/lg/c.prompt.safetensors" 30
cp "$work/lg/manifest.json" "$work/manifest"
py "manifest('$work/lg', 'c', 'numerics.softmax', {}, False)"
expect 0 '1 passed, 0 failed' large
point $? 'a manifest without digests of blocks is read still'
flip "$expected" $((size + size / 2))
expect 3 'c.expected.safetensors: has changed since the manifest was written (SHA-256 is' large
point $? '... and its files are digested whole'
expect 0 '1 passed, 0 failed' large --verified
point $? '... but not with --verified'
flip "$expected" $((size + size / 2))
sed 's/"blocks": {"prompt": \["[0-9a-f]*", /"blocks": {"prompt": [/' "$work/manifest" >"$work/lg/manifest.json"
expect 3 'c.prompt.safetensors: has changed since the manifest was written (9 blocks, expected 8)' large
point $? 'a manifest with too few blocks is refused'
sed 's/"blocks": {"prompt": \["[0-9a-f]/"blocks": {"prompt": ["g/' "$work/manifest" >"$work/lg/manifest.json"
expect 3 'block 0: expected 64 lower-case hex digits' large
point $? 'a digest that is none is refused'
cp "$work/manifest" "$work/lg/manifest.json"
"$smoeref" gen compete.layer --suite large --precision f32 --out "$work/gl" >"$work/log" 2>&1 &&
    grep -q '"blocks": {"prompt": \["[0-9a-f]*"' "$work/gl/manifest.json" &&
    ! grep -q '"blocks"' "$work/g/manifest.json" &&
    expect 0 ' 0 wrong files' "$smoeref" vectors verify "$work/gl"
point $? 'gen writes digests of blocks for large cases, and only for these'

# --- memory ----------------------------------------------------------------------------------------------------------
py "softmax('$work/sg', '$work/sa', 8192, 1024, True)" >"$work/log" 2>&1 # 384 MiB of golden values, 128 of answers
limited() { (ulimit -v 262144 && "$smoeref" diff "$work/sg" "$work/sa" "$@"); }
if (ulimit -v 262144) 2>/dev/null && limited --help >/dev/null 2>&1; then
    expect 0 '1 passed, 0 failed' limited --jobs 2
    point $? '640 MiB of files are judged in an address space of 256 MiB'
    limited --in-memory 4096 >"$work/log" 2>&1
    point $((! $?)) '... which is too little to judge them in memory'
else
    skip '640 MiB of files are judged in an address space of 256 MiB' 'no such limit can be set here'
    skip '... which is too little to judge them in memory' 'no such limit can be set here'
fi

# --- shards ----------------------------------------------------------------------------------------------------------
golden=$work/g
whole() { # whole N ANSWERS OPTION...: are N shards, merged, the report of one run, to the byte?
    parts=$1 answers=$2
    shift 2
    rm -f "$work"/shard.*
    "$smoeref" diff "$golden" "$answers" "$@" --report "$work/m.json" --report "$work/m.html" --report "$work/m.xml" \
        --report "$work/m.txt" --report "$work/m.tap" >"$work/m.out" 2>&1
    one=$?
    for i in $(seq "$parts"); do
        "$smoeref" diff "$golden" "$answers" "$@" --shard "$i/$parts" --out "$work/shard.$i" >"$work/log" 2>&1
        [ $? -le 1 ] || return 1
    done
    "$smoeref" diff merge $(ls "$work"/shard.* | sort -r) --report "$work/s.json" --report "$work/s.html" --report "$work/s.xml" \
        --report "$work/s.txt" --report "$work/s.tap" >"$work/s.out" 2>&1
    [ $? -eq $one ] || return 1
    for f in json html xml txt tap out; do cmp "$work/m.$f" "$work/s.$f" >>"$work/log" 2>&1 || return 1; done
}
whole 1 "$work/w" --precision f32 && whole 3 "$work/w" --precision f32
point $? 'one shard, or three, merged are one run: the same reports to the byte, diagnoses included'
whole 50 "$work/w" --precision f32 gate.weights --power --forward
point $? '... more shards than cases, with --power and --forward'
whole 2 "$work/w" --precision f32 --in-memory 0
point $? '... and cases in pieces'
mkdir "$work/n"
py '
import glob
for path in glob.glob("'"$work"'/a/*"):
    t = read(path)
    for k, (dtype, shape, data) in t.items():
        if dtype != "F64": continue
        one = lambda letter: "<%d%s" % (len(data) // 8, letter)
        x = struct.unpack(one("f"), struct.pack(one("f"), *struct.unpack(one("d"), data)))
        t[k][2] = struct.pack(one("d"), *x)
    write("'"$work"'/n/" + os.path.basename(path), t)
' >"$work/log" 2>&1 || cat "$work/log"
whole 2 "$work/n" gate.weights numerics.softmax && grep -q 'is a float32 number' "$work/s.out"
point $? '... and the hint at answers that are float32 numbers'
whole 3 "$work/w" --precision f32 gate.weights >"$work/log" 2>&1
merge() { "$smoeref" diff merge "$@"; }
# Cases that agree with several mistakes, and others that agree with one of these: a case's diagnosis rests on those before it.
why='cases that explain each other, in shards apart: one run still'
if SMOEREF_PRECISION=f64 "$python" -c 'import torch' 2>/dev/null; then
    golden=$work/explained
    mkdir "$work/spoilt"
    "$smoeref" gen gate.weights --suite core,adversarial --out "$golden" >"$work/log" 2>&1 &&
        SMOEREF_PRECISION=f64 "$python" "$top/verify/clients/wrong/softmax_selected.py" "$golden" "$work/spoilt" >>"$work/log" 2>&1 &&
        whole 3 "$work/spoilt" && grep -q 'fit\|equals\|the weights of' "$work/s.out"
    point $? "$why"
    golden=$work/g
    whole 3 "$work/w" --precision f32 gate.weights >"$work/log" 2>&1
else
    skip "$why" "$python has no torch"
fi
expect 3 '1 of 3 shards are missing, the first of them 2/3' merge "$work/shard.1" "$work/shard.3"
point $? 'a missing shard is refused'
expect 3 'are both shard 1/3' merge "$work/shard.1" "$work/shard.2" "$work/shard.3" "$work/shard.1"
point $? 'a shard that is there twice is refused'
"$smoeref" diff "$work/g" "$work/w" --precision f32 numerics.softmax --shard 2/3 --out "$work/other" >"$work/log" 2>&1
expect 3 'are of different runs' merge "$work/shard.1" "$work/other" "$work/shard.3"
point $? 'shards of other operations are refused'
sed 's/"pass": false/"pass": true/' "$work/shard.1" >"$work/other"
expect 3 '"pass" contradicts what it is made of' merge "$work/other" "$work/shard.2" "$work/shard.3"
point $? 'a verdict that contradicts itself is refused'
expect 2 '--shard needs --out' "$smoeref" diff "$work/g" "$work/w" --shard 1/2 &&
    expect 2 "--shard is '3/2', expected I/N" "$smoeref" diff "$work/g" "$work/w" --shard 3/2 --out "$work/other" &&
    expect 2 '--report goes with merge' "$smoeref" diff "$work/g" "$work/w" --shard 1/2 --out "$work/other" --report "$work/r.txt" &&
    expect 2 'merge takes --report and --quiet' merge "$work/shard.1" --precision f32
point $? 'options that make no sense with shards are refused'
SMOEREF=$smoeref "$python" - "$work/shard.2" "$work/broken" >"$work/log" 2>&1 <<'P'
import os, random, subprocess, sys
random.seed(1)
whole = open(sys.argv[1]).read()
seen = {}
for i in range(60):
    text = list(whole)
    for _ in range(random.choice([1, 1, 2, 5])):
        at = random.randrange(len(text))
        text[at] = random.choice(['', '9', '-', '"', '{', '}', '[', ']', ',', '\x00', '\xe9', 'true', 'null', '1e999', text[at] * 3])
    if i % 10 == 0: text = text[:random.randrange(len(text))]
    open(sys.argv[2], "w").write("".join(text))
    run = subprocess.run([os.environ["SMOEREF"], "diff", "merge", sys.argv[2]], capture_output=True, text=True)
    seen[run.returncode] = seen.get(run.returncode, 0) + 1
    if run.returncode not in (1, 3) or run.stderr.count("\n") != (run.returncode == 3): print(run); sys.exit(1)
print(seen)
P
point $? 'a damaged file of a shard is refused with one line, or is harmless, and never crashes'

# --- golden files that make no sense ---------------------------------------------------------------------------------
py "
case = next(c for c in json.load(open('$work/g/manifest.json'))['cases'] if c['op'] == 'gate.weights')
name = case['name']
os.makedirs('$work/bg')
t = read(f'$work/g/{name}.expected.safetensors')
n = len(t['index'][2]) // 8
t['index'][2] = struct.pack('<%dq' % n, *([10**9] + list(struct.unpack('<%dq' % n, t['index'][2]))[1:]))
write('$work/bg/%s.expected.safetensors' % name, t)
os.system(f'cp $work/g/{name}.prompt.safetensors $work/bg')
manifest('$work/bg', name, 'gate.weights', case['parameters'], False)"
failed=0
for way in 32 0; do
    expect 3 "'index': token 0 has expert 1000000000, expected one of the" \
        "$smoeref" diff "$work/bg" "$work/a" --precision f32 --in-memory $way || failed=1
done
point $failed 'a golden decision that names no expert is refused'
[ "$n" -eq $plan ]
