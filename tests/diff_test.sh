#!/bin/sh
# `smoeref diff` and `smoeref check` on files and programs: right ones pass; everything else fails, or is refused, and
# is never passed over.  Prints TAP.  SMOEREF: the command.  PYTHON: an interpreter (with NumPy, .npz is tested too).
set -u
smoeref=${SMOEREF:-./smoeref}
python=${PYTHON:-python3}
top=$(cd "$(dirname "$0")/.." && pwd)
schema=$(cd "$(dirname "$0")/../spec/schema" && pwd)/report.json
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
TMPDIR=$work/tmp
export TMPDIR
mkdir "$TMPDIR"
. "$(dirname "$0")/tap.sh"
plan=126
echo 1..$plan

fresh() { # the golden cases to $work/g, right answers to $work/a
    rm -rf "$work/g" "$work/a"
    cp -r "$work/golden" "$work/g"
    cp -r "$work/right" "$work/a"
}

# edit FILE CODE: runs Python on a safetensors file, t = {name: [dtype, shape, bytes]}
cat >"$work/edit.py" <<'P'
import json, struct, sys
path, code = sys.argv[1:]
raw = open(path, "rb").read()
n = int.from_bytes(raw[:8], "little")
head, data = json.loads(raw[8:8 + n]), raw[8 + n:]
meta = head.pop("__metadata__", {})
t = {k: [v["dtype"], v["shape"], data[slice(*v["data_offsets"])]] for k, v in head.items()}
def get(name): return list(struct.unpack("<%dd" % (len(t[name][2]) // 8), t[name][2]))
def put(name, x): t[name][2] = struct.pack("<%dd" % len(x), *x)
def narrow(name): x = get(name); t[name][0] = "F32"; t[name][2] = struct.pack("<%df" % len(x), *x)
exec(code)
head, data = ({"__metadata__": meta} if meta else {}), b""
for k, (d, s, b) in t.items():
    head[k] = {"dtype": d, "shape": s, "data_offsets": [len(data), len(data) + len(b)]}
    data += b
text = json.dumps(head).encode()
text += b" " * (-len(text) % 8)
open(path, "wb").write(len(text).to_bytes(8, "little") + text + data)
P
edit() { "$python" "$work/edit.py" "$1" "$2"; }

op=balance.switch
"$smoeref" gen $op --suite core --out "$work/golden" --precision f64,f32 >"$work/log" 2>&1 || {
    cat "$work/log"
    exit 1
}
mkdir "$work/right"
for prompt in "$work/golden"/*.prompt.safetensors; do
    name=$(basename "$prompt" .prompt.safetensors)
    "$smoeref" eval $op --in "$prompt" --out "$work/right/$name.safetensors" >"$work/log" 2>&1 || cat "$work/log"
done
name=$op.random
one=$work/a/$name.safetensors
diff_all() { "$smoeref" diff "$work/g" "$work/a" "$@"; }

# --- right answers --------------------------------------------------------------------------------------------
fresh
expect 0 ' passed, 0 failed' diff_all
point $? 'the reference agrees with itself at f64'
expect 0 ' passed, 0 failed' diff_all --precision f32
point $? 'F64 answers are judged at f32 too'
expect 0 ' passed, 0 failed' diff_all --precision bf16
point $? 'bounds that are not in the golden files are computed'
expect 0 ' passed, 0 failed' diff_all --jobs 3 $op
point $? 'operations may be named, and worked on in parallel'
expect 0 'these cases expose' diff_all --power --precision f32
[ $? -eq 0 ] && expect 0 '; not ' "$smoeref" check $op --suite smoke --power --precision f32 --exec "'$smoeref' eval --in {prompt} --out {answer}" &&
    ! grep -q '(some may be mistakes in what' "$work/log" && expect 0 '(some may be mistakes in what --where' diff_all --power --where count=first
point $? '--power says what would have been seen'
expect 0 'bf16 cannot show GeluTanh of numerics.gelu: the two forms differ by' "$smoeref" check numerics.gelu --power --quiet \
    --precision bf16 --exec "'$smoeref' eval --in {prompt} --out {answer}"
point $? '--power says what no case can show, and why'
expect 0 'passed, 0 failed' "$smoeref" check gate.deepseek --power --quiet --precision f32 --suite core,adversarial \
    --exec "'$smoeref' eval --in {prompt} --out {answer}"
grep -q '^power: of \([0-9]*\) known .* these cases expose \1 at f32$' "$work/log"
point $? '--power: a mistake that shows in nothing but the choice of experts'
edit "$one" 'del t["index"]'
expect 0 ' passed, 0 failed' diff_all
point $? 'an optional decision may be missing'
if "$python" -c 'import numpy' 2>/dev/null; then
    fresh
    "$python" - "$work" "$one" <<'P'
import json, os, sys
import numpy as np
work, one = sys.argv[1:]
raw = open(one, "rb").read()
n = int.from_bytes(raw[:8], "little")
head, data = json.loads(raw[8:8 + n]), raw[8 + n:]
t = {k: np.frombuffer(data[slice(*v["data_offsets"])], {"F64": "<f8", "I64": "<i8"}[v["dtype"]]).reshape(v["shape"])
     for k, v in head.items() if k != "__metadata__"}
os.remove(one)
np.savez(one.replace(".safetensors", ".npz"), **t)
os.mkdir(work + "/folder")
for k, v in t.items():
    np.save(work + "/folder/" + k + ".npy", v)
P
    expect 0 ' passed, 0 failed' diff_all
    point $? 'an .npz is an answer'
    rm "$work/a/$name.npz"
    cp -r "$work/folder" "$work/a/$name"
    expect 0 ' passed, 0 failed' diff_all
    point $? 'a folder of .npy files is an answer'
    rm "$work/a/$name/loss.npy"
    expect 1 "'loss' is missing" diff_all
    point $? 'a folder without one of them is not'
    cp "$work/folder/loss.npy" "$work/a/$name.npy"
    rm -r "$work/a/$name"
    expect 1 'one array cannot answer' diff_all
    point $? 'one .npy cannot answer four tensors'
else
    for what in '.npz' 'a folder of .npy' 'a folder without one of them' 'one .npy'; do
        skip "$what" "$python has no NumPy"
    done
fi

# --- wrong answers: exit status 1 -----------------------------------------------------------------------------
fresh
rm "$one"
expect 1 'there is no answer' diff_all
point $? 'a missing answer fails'
fresh
dd if="$work/right/$name.safetensors" of="$one" bs=100 count=2 2>/dev/null
expect 1 'FAIL' diff_all
point $? 'a truncated answer fails'
: >"$one"
expect 1 'FAIL' diff_all
point $? 'an empty answer fails'
fresh
rm "$work/a"/*
expect 1 '0 passed' diff_all
point $? 'an empty folder fails'
[ "$(grep -c 'there is no answer' "$work/log")" -eq 1 ] && grep -q 'more cases in the same way' "$work/log"
point $? 'and that is said once'
fresh
edit "$one" 't["extra"] = t["loss"]'
expect 1 "'extra' is unknown" diff_all
point $? 'an extra tensor fails and is named'
fresh
edit "$one" 'del t["d_r"]'
expect 1 "'d_r' is missing" diff_all
point $? 'a missing gradient fails and is named'
expect 0 'gradients were not judged (--forward)' diff_all --forward --report "$work/f.json" --report "$work/f.xml"
[ $? -eq 0 ] && grep -q '"forward": true' "$work/f.json" && grep -q 'smoeref, outputs only' "$work/f.xml"
point $? '--forward: but not where only the outputs are judged, which the reports say'
fresh
edit "$one" 'x = get("d_r"); x[1] = float("nan"); put("d_r", x)'
expect 0 ' passed, 0 failed' diff_all --forward
point $? '--forward: a gradient that is given is not judged'
edit "$one" 't["d_q"] = t["d_r"]'
expect 1 "'d_q' is unknown" diff_all --forward
point $? '--forward: what is no gradient is unknown all the same'
fresh
edit "$one" 'x = get("loss"); put("loss", [x[0] / 2])'
expect 1 'loss: golden times 1/2' diff_all --forward
point $? '--forward: a wrong output fails'
fresh
edit "$one" 'narrow("loss")'
expect 1 "'loss' is F32, which cannot hold the precision f64 that was promised (--precision f32 judges it as what it is)" diff_all
point $? 'an F32 loss fails where f64 was promised'
fresh
for file in "$work/a"/*; do edit "$file" 'for k in t: t[k][0] == "F64" and narrow(k)'; done
expect 0 ' passed, 0 failed' diff_all --precision f32
point $? 'F32 answers pass where f32 was promised'
fresh
edit "$one" 'x = get("d_r"); x[1] = float("nan"); put("d_r", x)'
expect 1 'd_r[0,1] = ' diff_all
point $? 'NaN fails and is located'
expect 1 'NaN' diff_all --precision bf16
point $? 'NaN fails in any precision'
fresh
for infinite in inf -inf; do
    edit "$one" "x = get('d_r'); x[1] = float('$infinite'); put('d_r', x)"
    expect 1 "d_r[0,1] = $infinite" diff_all
    point $? "$infinite fails and is located"
    expect 1 "d_r[0,1] = $infinite" diff_all --precision bf16
    point $? "$infinite fails in any precision"
done
fresh
edit "$one" 'x = get("loss"); put("loss", [x[0] * (1 + 1e-9)])'
expect 1 'first to depart: loss' diff_all
point $? 'a loss bent by 1e-9 fails'
edit "$one" 'x = get("probability"); x[0] += 1; put("probability", x)'
expect 1 'first to depart: probability (right before it: fraction)' diff_all
point $? 'a loss is made of the others: what they depart in comes first'
fresh
edit "$one" 'x = get("d_r"); x[0] += 1; put("d_r", x); x = get("loss"); put("loss", [x[0] + 1])'
expect 1 'first to depart: loss (right before it: fraction, probability, index)' diff_all
point $? 'and it comes before the gradients'
fresh
edit "$one" 't["loss"][1] = [1]'
expect 1 "'loss' has shape [1], expected []" diff_all
point $? 'a vector for a scalar fails'
fresh
edit "$one" 't["d_r"][1] = t["d_r"][1][::-1]'
expect 1 "'d_r' has shape [8,16], expected [16,8]" diff_all
point $? 'a transposed shape fails'
fresh
edit "$one" 'x = get("d_r"); put("d_r", [x[t * 8 + i] for i in range(8) for t in range(16)])'
expect 1 'd_r is golden transposed' diff_all && [ "$(grep -c 'golden transposed' "$work/log")" -eq 1 ]
point $? 'a column-major tensor fails and is recognised'
fresh
edit "$one" 'x = get("probability"); put("probability", x[1:] + x[:1])'
expect 1 'probability is golden with its first axis in another order: (1 2 3 4 5 6 7 0)' diff_all
point $? 'permuted experts fail and are recognised'
fresh
edit "$one" 'import array; x = array.array("q", t["index"][2]); t["index"][2] = array.array("q", [(i + 1) % 8 for i in x]).tobytes()'
expect 1 'inadmissible 16' diff_all
point $? 'and in a choice they are inadmissible'
fresh
edit "$one" 't["fraction"], t["probability"] = t["probability"], t["fraction"]'
expect 1 'fraction is what probability should be: were the two exchanged?' diff_all
point $? 'exchanged tensors fail and are recognised'
"$smoeref" gen $op --suite core --out "$work/other" --seed 2 --precision none >"$work/log" 2>&1
fresh
"$smoeref" eval $op --in "$work/other/$name.prompt.safetensors" --out "$one" >>"$work/log" 2>&1
expect 1 '1 failed' diff_all
point $? 'a stale answer, right for another seed, fails'
rm -r "$work/other"
fresh
edit "$one" 't["index"] = ["F64", t["index"][1], t["index"][2]]'
expect 1 "'index' is F64, expected I64" diff_all
point $? 'floats for indices fail'
fresh
edit "$one" 't["index"][2] = b"\xff" * len(t["index"][2])'
expect 1 'different experts out of' diff_all
point $? 'experts -1 fail'
fresh
cp "$one" "$work/a/$name.npz"
expect 1 'two answers' diff_all
point $? 'two answers to one case fail'
fresh
rm "$one"
mkfifo "$one"
expect 1 'expected a file' diff_all
point $? 'a named pipe is not waited for'

# --- unusable golden files: exit status 3 ---------------------------------------------------------------------
fresh
edit "$work/g/$name.prompt.safetensors" 'x = get("r"); x[0] += 1; put("r", x)'
expect 3 'has changed since the manifest was written' diff_all
point $? 'a changed prompt is refused'
fresh
edit "$work/g/$name.expected.safetensors" 'x = get("loss"); put("loss", [x[0] + 1])'
expect 3 'has changed since the manifest was written' diff_all
point $? 'a changed golden value is refused'
expect 1 ' passed, 1 failed' diff_all --verified && grep -q '^ *loss = ' "$work/log"
point $? 'with --verified the digests are not taken'
fresh
rm "$work/g/$name.expected.safetensors"
expect 3 "$name.expected.safetensors" diff_all
point $? 'a missing golden file is refused'
fresh
sed 's/"k": [0-9]*/"k": 1/' "$work/golden/manifest.json" >"$work/g/manifest.json"
expect 3 'the manifest says' diff_all
point $? 'a manifest with other parameters is refused'
echo '{' >"$work/g/manifest.json"
expect 3 'manifest.json' diff_all
point $? 'a broken manifest is refused'
rm "$work/g/manifest.json"
expect 3 'manifest.json' diff_all
point $? 'a folder without a manifest is refused'
fresh
expect 3 'expected a folder of answers' "$smoeref" diff "$work/g" "$work/nowhere"
point $? 'a missing folder of answers is refused'
expect 3 'no case of expert.relu' diff_all expert.relu
point $? 'no case at all is not a pass'

# --- vectors: is a folder what it was? ------------------------------------------------------------------------
fresh
vectors() { "$smoeref" vectors verify "$work/g" "$@"; }
digest=$("$smoeref" vectors digest "$work/golden")
expect 0 ', 0 wrong files' vectors && expect 0 "$digest" vectors --sha256 "$digest"
point $? 'vectors: as it was written'
printf 'x' | dd of="$work/g/$name.expected.safetensors" bs=1 seek=3000 conv=notrunc 2>/dev/null
expect 1 "FAIL $work/g/$name.expected.safetensors: SHA-256 is" vectors
point $? 'vectors: one changed byte'
fresh
rm "$work/g/$name.prompt.safetensors"
expect 1 "$name.prompt.safetensors: is missing" vectors
point $? 'vectors: a missing file'
ln -s "$work/golden/$name.prompt.safetensors" "$work/g"
expect 1 "$name.prompt.safetensors: is no regular file" vectors
point $? 'vectors: a link in its place'
fresh
: >"$work/g/.more"
cp "$one" "$work/g/other.prompt.safetensors"
expect 1 "FAIL $work/g: \"other.prompt.safetensors\" is not in the manifest" vectors && grep -qF '".more" is not in' "$work/log"
point $? 'vectors: a file that is not in the manifest'
fresh
sed 's/"seed": 1/"seed": 2/' "$work/golden/manifest.json" >"$work/g/manifest.json"
expect 0 ', 0 wrong files' vectors && expect 1 "expected $digest" vectors --sha256 "$digest"
point $? 'vectors: a manifest that was rewritten is found out by its digest'
rm "$work/g/manifest.json"
expect 3 'manifest.json' vectors
point $? 'vectors: no manifest'
expect 2 'neither verify nor digest' "$smoeref" vectors check "$work/g" && expect 2 'a folder' "$smoeref" vectors verify &&
    expect 2 'lower-case hex' vectors --sha256 1234
point $? 'vectors: usage'

# --- usage: exit status 2 -------------------------------------------------------------------------------------
expect 2 'expected one of' diff_all --precision f8
point $? 'an unknown precision is a usage error'
expect 2 'expected a name that ends in' diff_all --report report.docx
point $? 'an unknown report format is a usage error'
expect 2 'two folders' "$smoeref" diff "$work/g"
point $? 'one folder is a usage error'

# --- --where --------------------------------------------------------------------------------------------------
fresh
all=$(grep -c '"name"' "$work/golden/manifest.json")
first=$(grep -c '"count": "first"' "$work/golden/manifest.json")
[ "$first" -gt 0 ] && [ "$first" -lt "$all" ] && expect 0 "$first passed, 0 failed" diff_all --where count=first
point $? '--where: only the cases with that value'
expect 0 "$all passed, 0 failed" diff_all --where 'count=first|all'
point $? '--where: several values'
masked=$(grep -c '"mask"' "$work/golden/manifest.json")
[ "$masked" -gt 0 ] && expect 0 "$((all - masked)) passed, 0 failed" diff_all --where without=mask &&
    expect 2 "no case of these operations has the flag 'musk'" diff_all --where 'without=mask|musk' &&
    expect 0 '"cases": 2}' "$smoeref" gen $op --stream --where without=mask --where 'capacity=6|2'
point $? '--where without=FLAG: only the cases without that flag'
for file in "$work/a"/*; do
    prompt=$work/g/$(basename "$file" .safetensors).prompt.safetensors
    grep -aq 'count[^a-z]*first' "$prompt" && edit "$file" 'x = get("loss"); put("loss", [x[0] + 1])'
done
expect 1 "$first failed" diff_all && expect 0 "$((all - first)) passed, 0 failed" diff_all --where count=all
point $? '--where: what fails elsewhere is left out'
expect 1 "$first of these set count, scope, sequence or capacity: if your code has no such variants, --defaults" diff_all
point $? 'failing cases that set a parameter are told from the others'
fresh
for file in "$work/a"/*; do
    prompt=$work/g/$(basename "$file" .safetensors).prompt.safetensors
    if grep -aq 'count[^a-z]*first' "$prompt"; then
        edit "$file" 'x = get("loss"); put("loss", [x[0] + 1])'
    else
        edit "$file" 'x = get("loss"); put("loss", [x[0] / 2])'
    fi
done
expect 1 "loss: golden times 1/2, in $((all - first)) of the $all cases where it fails" diff_all
point $? 'a factor that explains most of the failing cases is named'
fresh
for file in "$work/a"/*; do
    edit "$file" 'for name in t:
    if t[name][0] == "F64": put(name, struct.unpack("<%df" % len(get(name)), struct.pack("<%df" % len(get(name)), *get(name))))'
done
expect 1 'every number of the failing answers is a float32 number: if that is your precision, --precision f32' diff_all &&
    expect 0 ' passed, 0 failed' diff_all --precision f32 && ! grep -q 'float32 number' "$work/log"
point $? 'answers of f32 numbers, judged as f64'
edit "$one" 'x = get("loss"); put("loss", [x[0] + 2**-40])'
expect 1 "no known wrong variant" diff_all && ! grep -q 'float32 number' "$work/log"
point $? 'but not if one of them has more digits'
fresh
expect 2 "has a parameter 'order'" diff_all $op --where order=topk-softmax
point $? '--where: a parameter that no operation has is a usage error'
expect 2 "count is never 'fist', expected all|first" diff_all --where count=fist
point $? '--where: so is a value that it never has'
expect 2 'that --where leaves' diff_all --where k=99
point $? '--where: and that no case is left'
expect 2 'smoeref check: there is no case' "$smoeref" check $op --where k=99 --exec 'cat {prompt} {answer}'
point $? '--where: said by the command that was asked'
expect 2 "expected NAME=VALUE" diff_all --where 'count=first|'
point $? '--where: and an empty value'
"$smoeref" list --json >"$work/list.json"
first=$("$python" - "$work/list.json" "$work/golden/manifest.json" <<'P'
import json, sys
listed, manifest = (json.load(open(path)) for path in sys.argv[1:])
default = {o["id"]: {p["name"]: p["default"] for p in o["parameters"]} for o in listed["operations"]}
def same(a, b): return a == b or (isinstance(a, (int, float)) and a == float(b))
print(sum("mask" not in c["flags"] and all(same(v, default[c["op"]][k]) for k, v in c["parameters"].items())
          for c in manifest["cases"]))
P
)
expect 0 "$first passed, 0 failed" diff_all --defaults
point $? '--defaults: only the cases with no parameter set and no mask'
expect 0 '1 passed, 0 failed' diff_all --where case=random
point $? '--where case=: that case alone'
expect 3 "manifest.json: no case of gate.weights" diff_all balance.switch gate.weights
point $? 'an operation that is named and has no case'
expect 2 'that --where and --defaults leave' diff_all --where count=first --defaults
point $? '--defaults: and that no case is left'
expect 0 ' cases' "$smoeref" gen gate.weights numerics.sum --suite smoke,core --precision none --out "$work/w1" \
    --where order=softmax-topk
[ $? -eq 0 ] && ls "$work/w1" | grep -q numerics.sum && ! grep -q '"order": "[^"]*[^k]"' "$work/w1/manifest.json"
point $? '--where: gen writes these cases, and all of an operation without the parameter'
expect 0 ' passed, 0 failed' "$smoeref" check $op --where k=2 --where count=all --suite smoke \
    --exec "'$smoeref' eval --in {prompt} --out {answer}"
point $? '--where: check, twice'
expect 1 '== precision f32 ==' "$smoeref" check $op --suite smoke --precision f64,f32 --report "$work/p.xml" \
    --exec "'$python' '${top_srcdir:-.}/verify/clients/numpy/client.py' {prompt} {answer} --precision f32"
point $? 'two precisions, one run after the other: what one of them refuses is the status'
grep -q '<testsuites.* failures="1"' "$work/p.f64.xml" && grep -q '<testsuites.* failures="0"' "$work/p.f32.xml"
point $? 'and each has its report'
fresh

# --- reports --------------------------------------------------------------------------------------------------
rm "$one"
expect 1 'failed' diff_all --report "$work/r.json" --report "$work/r.tap" --report "$work/r.xml" \
    --report "$work/r.txt" --report "$work/r.html" --quiet
point $? 'five reports are written'
"$python" - "$work" >"$work/log" 2>&1 <<'P'
import json, re, sys
import xml.etree.ElementTree as xml
work = sys.argv[1]
j = json.load(open(work + "/r.json"))
tap = open(work + "/r.tap").read()
x = xml.parse(work + "/r.xml").getroot()
total = len(j["cases"])
assert j["failed"] == 1 and j["passed"] == total - 1 > 0, (j["failed"], j["passed"])
assert [c["name"] for c in j["cases"] if not c["pass"]] == ["balance.switch.random"]
assert re.search(r"^1\.\.%d$" % total, tap, re.M) and len(re.findall(r"^not ok ", tap, re.M)) == 1
assert len(re.findall(r"^ok ", tap, re.M)) == total - 1
assert x.get("tests") == str(total) and x.get("failures") == "1" and len(x.findall(".//testcase")) == total
assert len(x.findall(".//failure")) == 1
assert {t.get("classname") for t in x.iter("testcase")} == {"smoeref.f64.balance.switch"}
assert "%d passed, 1 failed" % (total - 1) in open(work + "/r.txt").read()
P
point $? 'and they agree on what failed'
# The page: every tag closed, every section there, what failed unfolded with its picture, nothing fetched or run.
"$python" - "$work/r.html" >"$work/log" 2>&1 <<'P'
import html.parser, sys
text = open(sys.argv[1], encoding="utf-8").read()
class Page(html.parser.HTMLParser):
    void, open, sections, seen = {"meta", "rect", "path"}, [], [], set()
    def handle_starttag(self, tag, attributes):
        self.seen.add(tag)
        values = dict(attributes)
        assert not {"src", "href", "onload", "onclick", "srcset"} & set(values), (tag, values)
        if tag == "section":
            self.sections.append(values["id"])
        if tag not in self.void:
            self.open.append(tag)
    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, (tag, self.open)
    def handle_startendtag(self, tag, attributes):
        self.seen.add(tag)
page = Page(convert_charrefs=True)
page.feed(text)
page.close()
assert page.open == [], page.open
assert page.sections == ["operations", "diagnosis", "failures", "ratios", "decisions", "cases"], page.sections
assert "script" not in page.seen and "link" not in page.seen and "@import" not in text and "url(" not in text
assert "<details open><summary><b class=\"bad\">balance.switch.random" in text and "1 failed" in text
assert len(text) < 2 << 20
P
point $? 'the page is whole and needs nothing from outside'
cat >"$work/spoil.py" <<'P'
import json, sys
sys.path.insert(0, sys.argv[3])
from schema import wrong, root, document as report
assert wrong(root, report, "report") is None, wrong(root, report, "report")
for spoil in (lambda r: r.pop("suite"), lambda r: r.update(extra=1), lambda r: r.update(precision="f8"),
              lambda r: r["cases"][0]["tensors"][0].update(ratio="big"), lambda r: r.update(failed=-1)):
    other = json.loads(json.dumps(report))
    spoil(other)
    assert wrong(root, other, "report") is not None, "a spoilt report is accepted"
P
follows() {
    PYTHONDONTWRITEBYTECODE=1 "$python" "$work/spoil.py" "$schema" "$1" "$top/tests" >"$work/log" 2>&1
}
follows "$work/r.json"
point $? 'and the JSON one follows its schema, which refuses five spoilt ones'
fresh
for prompt in "$work/g"/*.prompt.safetensors; do # a wrong variant, but for two cases, of which one is bent
    name2=$(basename "$prompt" .prompt.safetensors)
    [ "$name2" = $op.first ] ||
        "$smoeref" eval $op --in "$prompt" --out "$work/a/$name2.safetensors" --variant LblProbOverTK
done
edit "$work/a/$op.first.safetensors" 'x = get("loss"); put("loss", [x[0] + 1])'
expect 1 'the other 1: first' diff_all --report "$work/p.json" --report "$work/p.tap"
[ $? -eq 0 ] && grep -q "^$op: [0-9]* of [0-9]* failing cases equal .*: LblProbOverTK; met in" "$work/log" &&
    ! grep -q 'no known wrong variant' "$work/log" && grep -q '^# .* failing cases equal .*LblProbOverTK' "$work/p.tap"
point $? 'a variant that explains some of the failing cases is named with them'
follows "$work/p.json" && "$python" - "$work/p.json" >"$work/log" 2>&1 <<'P'
import json, sys
j = json.load(open(sys.argv[1]))
o, = j["operations"]
assert o["equals"] == [] and len(o["parts"]) == 2, o
named, rest = o["parts"]
assert named["equals"]["class"] == "LblProbOverTK" and rest == {"equals": None, "cases": ["balance.switch.first"]}, o
assert sorted(named["cases"] + rest["cases"]) == sorted(c["name"] for c in j["cases"] if not c["pass"])
P
point $? 'and in the JSON report, by its schema'
fresh
for file in "$work/a"/*; do edit "$file" 'x = get("loss"); put("loss", [1.37 * x[0] + 0.01])'; done
expect 1 'no known wrong variant explains all failing cases' diff_all
point $? 'and none is named where none explains any'
fresh
rm "$one"
expect 3 'nowhere' diff_all --report "$work/nowhere/r.json"
point $? 'an unwritable report is an error'
fresh
mkdir "$work/folder.txt"
expect 3 'cannot write: Not a directory' diff_all --report "$one/r.json" &&
    expect 3 'cannot write: Is a directory' diff_all --report "$work/folder.txt"
point $? 'so is one inside a file, or in the place of a folder'
expect 3 'nowhere/r.json: cannot write' "$smoeref" check $op --suite smoke --report "$work/nowhere/r.json" \
    --exec "sh -c 'echo ran >>\"$work/ran\"' {prompt} {answer}"
[ $? -eq 0 ] && [ ! -e "$work/ran" ]
point $? 'and it is found before anything runs'

# --- programs -------------------------------------------------------------------------------------------------
check() { "$smoeref" check $op "$@"; }
right="'$smoeref' eval $op --in {prompt} --out {answer}"
expect 0 ' passed, 0 failed' check --exec "$right"
point $? 'check: the reference as a program passes'
expect 1 ": LblProbOverTK; met in" check --exec "$right --variant LblProbOverTK" --precision f32
point $? 'check: a known wrong variant fails under its name'
expect 0 '..2, judged' check --exec "$right" --seeds 1..2 --suite smoke
point $? 'check: several seeds'
expect 0 ' passed, 0 failed' check --exec "$right" --cases "$work/golden" --jobs 2
point $? 'check: with golden cases that exist'
cat >"$work/all.sh" <<S
#!/bin/sh
[ "\$SMOEREF_PRECISION" = f32 ] || exit 9
for p in "\$1"/*; do
    n=\$(basename "\$p" .prompt.safetensors)
    '$smoeref' eval $op --in "\$p" --out "\$2/\$n.safetensors" || exit 1
done
S
expect 0 ' passed, 0 failed' check --exec "sh '$work/all.sh' {prompts} {answers}" --precision f32
point $? 'check: one process for all cases, told the precision'
expect 1 'ended with exit status 7' check --exec 'sh -c "echo because >&2; exit 7" {prompt} {answer}'
point $? 'check: a program that exits 7 fails'
[ "$(grep -c '| because' "$work/log")" -eq 1 ] && grep -q "and $((all - 1)) more cases in the same way" "$work/log"
point $? 'check: and its last words are shown, once for all cases'
grep -q 'decisions: none answered' "$work/log"
point $? 'check: no decision was taken where nothing was answered'
expect 1 'it was started once for all' check --suite smoke --exec 'sh -c "exit 7" {prompts} {answers}'
[ $? -eq 0 ] && grep -q 'of 1 answers it wrote 0, the first by name that is missing is balance.switch' "$work/log"
point $? 'check: one run for all that fails is charged to all, which is said'
expect 1 '| 2' check --exec 'sh -c "case \$1 in *first*) echo 1;; *) echo 2;; esac; exit 7" {answer} {prompt}'
[ $? -eq 0 ] && grep -q '| 1' "$work/log" && grep -q 'more cases in the same way' "$work/log"
point $? 'check: other last words are shown as well'
expect 1 'ended with exit status 1' check \
    --exec "sh -c \"$smoeref eval $op --in \\\$0 --out \\\$1; exit 1\" {prompt} {answer}"
point $? 'check: a right answer does not excuse exit status 1'
expect 1 'there is no answer' check --exec 'true {prompt} {answer}'
point $? 'check: a program that writes nothing fails'
expect 1 'ended by signal' check --exec 'sh -c "kill -SEGV \$\$" {prompt} {answer}'
point $? 'check: a program that crashes fails'
cat >"$work/hang.sh" <<S
(sleep 3; echo still here >>'$work/late') &
echo \$! >>'$work/pids'
wait
sleep 600
S
expect 1 'stopped after 1 s' check --suite smoke --timeout 1 --exec "sh '$work/hang.sh' {prompt} {answer}"
point $? 'check: a program that hangs is stopped and fails'
sleep 3
[ -s "$work/pids" ] && [ ! -e "$work/late" ]
point $? 'check: with the processes that it started'
expect 3 'has changed' check --exec "sh -c 'echo >>\$0; cp \$0 \$1' {prompt} {answer}"
point $? 'check: a program that changes its prompt is found out'
expect 2 'cannot run' check --exec '/nowhere/program {prompt} {answer}'
[ $? -eq 0 ] && grep -q 'no shell is used; write sh -c' "$work/log"
point $? 'check: a program that is not there is a usage error'
expect 2 'expected both {prompt} and {answer}' check --exec 'cp {prompt} answer'
point $? 'check: a command without its files is a usage error'
[ -z "$(ls -A "$TMPDIR")" ]
point $? 'check: nothing is left in TMPDIR'
: >"$work/pids"
"$smoeref" check $op --exec "sh '$work/hang.sh' {prompt} {answer}" >"$work/log" 2>&1 &
pid=$!
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    [ -s "$work/pids" ] && break
    sleep 0.5
done
kill -TERM $pid
wait $pid
status=$?
sleep 3
[ "$status" -eq 143 ] && [ -s "$work/pids" ] && [ ! -e "$work/late" ] && [ -z "$(ls -A "$TMPDIR")" ]
point $? 'check: interrupted, it ends by the signal and leaves neither processes nor files'
cat >"$work/riddle.sh" <<S
for p in "\$1"/*.prompt.safetensors; do
    n=\$(basename "\$p" .prompt.safetensors)
    '$smoeref' eval balance.zloss --in "\$p" --out "\$2/\$n.safetensors" || exit 1
    '$python' '$work/edit.py' "\$2/\$n.safetensors" 'if t["d_r"][1][0] > 2: put("loss", [get("loss")[0] + 0.125])' || exit 1
done
S
riddle() { "$smoeref" check balance.zloss --suite smoke --exec "sh '$work/riddle.sh' {prompts} {answers}" "$@"; }
expect 1 'the smallest case found that fails so too' riddle --shrink 100 --keep "$work/riddle"
[ $? -eq 0 ] && grep -q '^ *T=3 N=1$' "$work/log" && grep -q '^ *r \[3,1\] = 0 0 0$' "$work/log" &&
    grep -q '^ *loss = 0.125, golden 0, ' "$work/log"
point $? 'check: where nothing explains a failure, the smallest case that fails so is found'
expect 1 '0 passed, 1 failed' "$smoeref" check --cases "$work/riddle/shrunk-balance.zloss" --shrink 0 \
    --exec "sh '$work/riddle.sh' {prompts} {answers}"
point $? 'check: it is kept as a golden case, and fails again'
expect 0 '1 cases, 0 wrong files' "$smoeref" vectors verify "$work/riddle/shrunk-balance.zloss"
point $? 'check: whose digests are right'
cat >"$work/each.sh" <<S
echo >>'$work/begun'
sleep 1
case \$1 in *step-*) exit 0;; esac # so that nothing is killed but this
mkdir "\$2.d"
cp "\$1" "\$2.d/case.prompt.safetensors"
sh '$work/riddle.sh' "\$2.d" "\$2.d" && mv "\$2.d/case.safetensors" "\$2"
S
expect 1 'no known wrong variant explains' "$smoeref" check balance.zloss --suite smoke --exec "sh '$work/each.sh' {prompt} {answer}" --jobs 2 --shrink 3
[ $? -eq 0 ] && [ "$(wc -l <"$work/begun")" -gt 1 ] && [ "$(wc -l <"$work/begun")" -lt 12 ]
point $? 'check: a slow program is not asked beyond the time'
expect 1 'no known wrong variant explains' riddle --shrink 0
[ $? -eq 0 ] && ! grep -q 'the smallest case found' "$work/log"
point $? 'check: it is not looked for in no time'
expect 2 "--shrink is 'soon', expected seconds, at least 0" riddle --shrink soon
point $? 'check: a time that is no number is a usage error'
[ -z "$(ls -A "$TMPDIR")" ]
point $? 'check: the search leaves nothing in TMPDIR'
expect 0 ' passed' check --exec "$right" --suite smoke --keep "$work/kept"
[ $? -eq 0 ] && [ -s "$work/kept/golden/manifest.json" ] && [ -n "$(ls -A "$work/kept/answers")" ]
point $? 'check: --keep keeps cases and answers'
expect 3 'a new or empty folder is expected' check --exec "$right" --suite smoke --keep "$work/kept"
point $? 'check: and does not judge what was there before'

# --- the sample clients' files ----------------------------------------------------------------------------------
clients=$(cd "$(dirname "$0")/../verify/clients" && pwd)
if "$python" -c 'import numpy, torch' 2>/dev/null; then
    PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$clients "$python" - "$work/torch.safetensors" >"$work/log" 2>&1 <<'P'
import sys
import smoeref_io
assert "torch" not in sys.modules
import numpy, torch
x = torch.tensor([[1.0, 2.5], [-3.0, 0.0]], requires_grad=True)
given = {"graph": x, "bf16": x.to(torch.bfloat16), "half": x.half(), "double": x.double() * 2, "index": torch.tensor([3, 1]),
         "array": numpy.ones(2), "number": 1.5, "view": x.t()}
for dtype in ("F64", "F32", "BF16", "F16"):
    smoeref_io.write(sys.argv[1], given, dtype)
    got, _ = smoeref_io.read(sys.argv[1])
    for name, value in given.items():
        want = value.detach().double().numpy() if hasattr(value, "detach") else numpy.asarray(value)
        assert got[name].shape == want.shape and (got[name] == want).all(), (dtype, name, got[name])
    assert got["index"].dtype == numpy.int64
P
    point $? 'the sample clients write PyTorch tensors of any kind'
else
    skip 'the sample clients write PyTorch tensors of any kind' "$python has no PyTorch"
fi
[ "$n" -eq $plan ]
