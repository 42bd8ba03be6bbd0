#!/usr/bin/env python3
"""Writes the seed inputs of the targets into corpus/<target>/seed-*.  Needs NumPy, whose files are the .npy and .npz seeds; the
safetensors and manifest seeds are put together here by the formats' definitions, and fuzz_ops gets random bytes for
each operation of the registry.

    SMOEREF=./smoeref python3 fuzz/seeds.py        SMOEREF: the command, for the prompts of its smoke suite (fuzz_prompt)
"""
import io
import json
import os
import pathlib
import random
import re
import struct
import subprocess
import tempfile
import zipfile
import zlib

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent / "corpus"


def put(target, name, data):
    folder = HERE / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ("seed-" + name)).write_bytes(data)


def safetensors(header, data=b"", pad=0):
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    text += b" " * pad
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def npy(array, version=None):
    out = io.BytesIO()
    np.lib.format.write_array(out, array, version=version)
    return out.getvalue()


def npz(compressed=False, **arrays):
    out = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(out, **arrays)
    return out.getvalue()


put("fuzz_safetensors", "empty", safetensors({}))
put("fuzz_safetensors", "one", safetensors({"x": entry("F64", [2], 0, 16)}, bytes(range(16))))
put("fuzz_safetensors", "kinds", safetensors(
    {"__metadata__": {"op": "gate.linear", "parameters": '{"k": 2}'}, "h": entry("F16", [3], 0, 6),
     "b": entry("BF16", [1, 1], 6, 8), "e": entry("F32", [0, 4], 8, 8), "s": entry("F32", [], 8, 12),
     "i": entry("I64", [1, 1, 2], 12, 28)}, bytes(range(28)), pad=5))
put("fuzz_safetensors", "backwards", safetensors({"b": entry("F32", [1], 4, 8), "a": entry("F32", [1], 0, 4)}, bytes(8)))
put("fuzz_safetensors", "overlap", safetensors({"b": entry("F32", [2], 0, 8), "a": entry("F32", [1], 4, 8)}, bytes(8)))
put("fuzz_safetensors", "hole", safetensors({"b": entry("F32", [1], 4, 8)}, bytes(8)))
put("fuzz_safetensors", "huge", safetensors({"x": entry("F64", [2**32, 2**32], 0, 0)}))
put("fuzz_safetensors", "twice", safetensors(
    b'{"x":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"x":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}', bytes(4)))
put("fuzz_safetensors", "lying", struct.pack("<Q", 2**63) + b"{}")

matrix = np.arange(6, dtype="<f8").reshape(2, 3)
put("fuzz_npy", "f8", npy(matrix))
put("fuzz_npy", "fortran", npy(np.asfortranarray(np.arange(24, dtype="<f2").reshape(2, 3, 4))))
put("fuzz_npy", "big", npy(np.array([1, -2], dtype=">i8")))
put("fuzz_npy", "scalar", npy(np.array(0.5, dtype="<f4"), version=(2, 0)))
put("fuzz_npy", "three", npy(np.zeros((0, 3), dtype=">f4"), version=(3, 0)))
put("fuzz_npy", "i4", npy(np.arange(3, dtype="<i4")))
put("fuzz_npy", "structured", npy(np.zeros(1, dtype=[("a", "<f8")])))

put("fuzz_npz", "none", npz())
put("fuzz_npz", "stored", npz(x=matrix, y=np.array([3])))
put("fuzz_npz", "deflated", npz(True, x=np.zeros(64)))
bomb = bytearray(npz(True, x=np.zeros(64)))
at = bomb.find(b"PK\1\2")
bomb[at + 24:at + 28] = bomb[22:26] = struct.pack("<I", 2**30 - 1)
put("fuzz_npz", "bomb", bytes(bomb))

grid = np.arange(24, dtype="<f4").reshape(2, 4, 3)
dumped = safetensors({"expert.1": entry("F32", [4, 3], 0, 48), "expert.0": entry("F32", [4, 3], 48, 96),
                      "ids": entry("I32", [4], 96, 112), "route": entry("I64", [4, 2], 112, 176)},
                     grid.tobytes() + bytes(16) + np.arange(8, dtype="<i8").tobytes())
put("fuzz_dump", "safetensors", dumped)
put("fuzz_dump", "experts", safetensors({"x": entry("BF16", [2, 3, 2], 0, 24)}, bytes(range(24))))
put("fuzz_dump", "nan", safetensors({"x": entry("F16", [1, 2], 0, 4)}, b"\x00\x3c\x00\x7e"))
put("fuzz_dump", "truncated", dumped[:-8])
put("fuzz_dump", "npy", npy(grid))
put("fuzz_dump", "fortran", npy(np.asfortranarray(grid[0].astype(">f8"))))
put("fuzz_dump", "half", npy(grid[1].astype("<f2")))
put("fuzz_dump", "npz", npz(x=grid[0], e1=grid, y=np.array([3])))
hollow = io.BytesIO()
with zipfile.ZipFile(hollow, "w") as archive:
    archive.writestr("x.npy", b"")
put("fuzz_dump", "hollow", hollow.getvalue())
put("fuzz_dump", "deflated", npz(True, x=np.zeros((9, 4)), e=grid[0]))

case = {"name": "gate.weights-ties", "op": "gate.weights", "parameters": {"k": 2, "order": "topk-softmax", "theta": 0.125},
        "flags": ["ties", "wide"], "sha256": {"prompt": "a" * 64, "expected": "0123456789abcdef" * 4}}
manifest = {"smoeref": "0.1.0", "suite": "core", "seed": 1, "cases": [case]}
put("fuzz_manifest", "one", json.dumps(manifest).encode())
put("fuzz_manifest", "none", json.dumps(dict(manifest, cases=[])).encode())
put("fuzz_manifest", "twice", json.dumps(dict(manifest, cases=[case, case])).encode())
put("fuzz_manifest", "climb", json.dumps(dict(manifest, cases=[dict(case, name="../x")])).encode())
put("fuzz_manifest", "parameters", b'{"k": 2, "theta": 1e-3, "version": "2"}')
put("fuzz_manifest", "set", b"k=2,theta=1e-3,order=topk-softmax")


def sealed(line):
    text = json.dumps(line, separators=(",", ":"))[:-1].encode()
    return text + b',"crc32":"%08x"}\n' % zlib.crc32(text)


def rates(plan, *fits):
    return sealed({"smoeref": "fuzz", "file": "rates", "fits": 0, "plan": plan}) + b"".join(sealed(f) for f in fits)


plan = {"preset": "exact", "free_weights": "default", "estimators": ["oracle"], "n": [20, 40], "repeats": 2, "starts": 1,
        "seed": 1}
fit = {"fit": 0, "series": "norm, oracle", "n": 20, "repeat": 0, "status": "converged", "evaluations": 1, "failed_starts": 0,
       "loglik": -1.5, "total_variation": 0.25, "total_variation_error": 1e-9, "hellinger": 0.125, "voronoi": 0.5,
       "theta": [1.5, 1.0, 0.25, -1.0, -1.0, 0.16]}
lost = dict(fit, fit=3, n=40, repeat=1, status="stalled", loglik=None, total_variation=None, total_variation_error=None,
            hellinger=None, voronoi=None, theta=[])
put("fuzz_rates", "none", rates(plan))
put("fuzz_rates", "two", rates(plan, fit, lost))
put("fuzz_rates", "torn", rates(plan, lost, fit)[:-9])
put("fuzz_rates", "clash", rates(plan, fit, dict(fit, loglik=-1.25)))
put("fuzz_rates", "stranger", rates(plan, dict(fit, fit=99)))
put("fuzz_rates", "all", rates(dict(plan, preset="softmax-vs-competition", free_weights="no", estimators=["mle", "em", "oracle"],
                                    n=[316, 1000, 3162])))
put("fuzz_rates", "sizes", b"100:100000:7")
put("fuzz_rates", "list", b"316,1000,3162")
put("fuzz_rates", "estimators", b"mle,em")


def answer(name="a", **tensors):
    return json.dumps({"name": name, "tensors": tensors}).encode() + b"\n"


def lines(dtype, shape, *data):
    return {"dtype": dtype, "shape": shape, "data": list(data)}


put("fuzz_stream", "kinds", answer(
    p=lines("F64", [2], 0.5, -0.0), h=lines("F16", [1, 3], 1e-7, 65504, 1e9), b=lines("BF16", [], 3.14),
    s=lines("F32", [2], "nan", "-inf"), i=lines("I64", [3], 0, -1, 9007199254740992), e=lines("F64", [0, 4])))
put("fuzz_stream", "two", answer("a.b", y=lines("F64", [1], 1)) + answer("c", y=lines("F64", [1], "inf")))
put("fuzz_stream", "short", answer(y=lines("F64", [3], 1, 2)))
put("fuzz_stream", "words", answer(y=lines("F64", [1], "Nan"), i=lines("I64", [1], 0.5)))
put("fuzz_stream", "fields", answer(y=dict(lines("F64", [1], 1), more=1)) + b'{"name": "a"}\n[]\n{"name": 1, "tensors": {}}\n')
put("fuzz_stream", "huge", answer(y=lines("F64", [1048576, 1048576, 1048576])) + b'{"name": "\\u0007", "tensors": {"\\u0001": 1}}\n')
put("fuzz_stream", "twice", b'{"name": "a", "name": "b", "tensors": {}}\n{"name": "a", "tensors": {"x": NaN}}\n')


def index(weight_map, **more):
    return json.dumps(dict(more, weight_map=weight_map)).encode()


put("fuzz_shards", "two", index({"b": "m-00001-of-00002.safetensors", "a": "m-00002-of-00002.safetensors",
                                 "c": "m-00001-of-00002.safetensors"}, metadata={"total_size": 24}))
put("fuzz_shards", "none", index({}))
put("fuzz_shards", "elsewhere", index({"a": "../m.safetensors"}))
put("fuzz_shards", "kind", index({"a": "m.bin"}))
put("fuzz_shards", "names", index({"\u0001": "m.safetensors", "\u00e9": "m.safetensors"}))
put("fuzz_shards", "number", index({"a": 1}))
put("fuzz_shards", "torn", index({"a": "m.safetensors"})[:-3])
put("fuzz_shards", "twice", b'{"weight_map": {"a": "m.safetensors", "a": "n.safetensors"}}')


def code(operation):
    """As hash_of() in fuzz_ops.c."""
    h = 2166136261
    for byte in operation.encode():
        h = (h ^ byte) * 16777619 & 0xFFFFFFFF
    return (h >> 16 ^ h) & 0xFFFF


sources = sorted((HERE.parent.parent / "verify" / "oracle").glob("op_*.c"))
operations = sorted({word for source in sources
                     for word in re.findall(r'^\s*\{?\s*"((?:[a-z]+)\.[a-z0-9_]+)",', source.read_text(), re.M)})
operations += ["numerics.matmul_nn", "numerics.matmul_nt", "numerics.matmul_tn"]  # made by a macro
for operation in sorted(set(operations)):
    draw = random.Random(operation)
    for n in range(2):
        put("fuzz_ops", "%s-%d" % (operation, n), struct.pack(">H", code(operation)) + bytes(draw.choices(range(256), k=160)))



def verdicts(folder, name, options=("--shard", "1/1"), change=None, **fields):
    """The verdicts of folder/answers, as this version of a fuzz target would have written them."""
    subprocess.run([os.environ["SMOEREF"], "diff", folder + "/cases", folder + "/answers", "gate.weights", *options,
                    "--out", folder + "/verdicts"], stdout=subprocess.DEVNULL)
    text = json.loads(pathlib.Path(folder, "verdicts").read_text())
    text.update(fields, smoeref="fuzz")
    if change:
        change(text["cases"][0])
    put("fuzz_verdicts", name, json.dumps(text, separators=(",", ":")).encode())


def verdict_seeds(folder):
    cases, answer = pathlib.Path(folder, "cases"), folder + "/answers/gate.weights.small.safetensors"
    pathlib.Path(folder, "answers").mkdir()
    evaluate = [os.environ["SMOEREF"], "eval", "--in", str(cases / "gate.weights.small.prompt.safetensors"), "--out", answer]
    verdicts(folder, "missing")
    verdicts(folder, "second", ("--shard", "2/3"))
    subprocess.run(evaluate, check=True)
    verdicts(folder, "passed")
    verdicts(folder, "power", ("--shard", "1/1", "--power", "--forward", "--precision", "bf16"))
    verdicts(folder, "contradiction", change=lambda case: case.update({"pass": False}))
    verdicts(folder, "more", total=2)
    verdicts(folder, "unprintable", suite="a\u0007b")
    verdicts(folder, "range", change=lambda case: case["tensors"][0].update(at=2**62))
    subprocess.run([*evaluate, "--variant", "NormTopK/softmax-topk"], check=True)
    verdicts(folder, "variant")
    verdicts(folder, "pair", change=lambda case: case["matches"][0].update({"class": "NormTopK/softmax-topk+SwappedWeights"}))
    verdicts(folder, "sentence", change=lambda case: case["details"].append("a\u0007b"))
    pathlib.Path(answer).write_bytes(safetensors({"z": entry("F64", [1], 0, 8)}, bytes(8)))
    verdicts(folder, "unknown")


if os.environ.get("SMOEREF"):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([os.environ["SMOEREF"], "gen", "--suite", "smoke", "--out", folder + "/cases"], check=True,
                       stdout=subprocess.DEVNULL)
        for prompt in sorted(pathlib.Path(folder, "cases").glob("*.prompt.safetensors")):
            if prompt.stat().st_size <= 4096:
                put("fuzz_prompt", prompt.name.removesuffix(".prompt.safetensors"), prompt.read_bytes())
        verdict_seeds(folder)
