#!/usr/bin/env python3
"""`smoeref diff` of large files against numpy.allclose on the same files; its memory; and what `smoeref gen` takes for a case.

    bench_diff.py SMOEREF [ROUNDS]     DIFF_GB: size of all files together (default 0.5), at most 1 GB a case
                                       DIFF_LINKED=1: all cases are the files of one, so that more than memory can be judged from memory

The cases are a softmax of many tokens, in files such as `gen --precision f64` writes: a prompt (logits, cotangents), golden
values with radius and bound, and answers (output, gradient) that pass, off by up to 0.9 of the bound.  So a byte of answers
comes with four of golden files, of which a verdict needs two: value and bound.  NumPy compares golden values and answers,
tensor by tensor, out of memory maps.  diff is run as it is, and with --verified, which leaves the digests of golden files to
`smoeref vectors verify`.  All are run by turns.  Exit status 0 if all pass and memory is within 256 MiB; times are
told, not asserted.
"""
import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy

BLOCK = 1 << 20
WIDTH = 1024
MOST = 1e9  # bytes of a case
LIMIT = 256  # MiB


def write(path, tensors, shape, metadata=None):
    """tensors: (name, function of a number of rows).  Returns the digests of the file and of its blocks."""
    size = shape[0] * shape[1] * 8
    header = {"__metadata__": metadata} if metadata else {}
    for i, (name, _) in enumerate(tensors):
        header[name] = {"dtype": "F64", "shape": shape, "data_offsets": [i * size, (i + 1) * size]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for _, values in tensors:
            for first in range(0, shape[0], 4096):
                f.write(values(first, min(4096, shape[0] - first)).tobytes())
    whole, blocks = hashlib.sha256(), []
    with open(path, "rb") as f:
        while block := f.read(BLOCK):
            whole.update(block)
            blocks.append(hashlib.sha256(block).hexdigest())
    return whole.hexdigest(), blocks


def make_case(folder, name, rows):
    """Golden files and the answer of one case; its entry in the manifest."""
    shape = [rows, WIDTH]
    pool = numpy.random.default_rng(1).uniform(0.5, 1, (8192, WIDTH))
    bound = numpy.full((4096, WIDTH), 1e-15)
    noise = numpy.random.default_rng(2).uniform(-0.9e-15, 0.9e-15, (4096, WIDTH))

    def golden(first, n):
        return pool[first // 4096 % 2 * 4096:][:n]

    results = ("p", "d_z")
    prompt = write(f"{folder}/golden/{name}.prompt.safetensors", [("z", golden), ("d_p", golden)], shape,
                   {"op": "numerics.softmax", "parameters": "{}", "case": name})
    expected = write(f"{folder}/golden/{name}.expected.safetensors",
                     [x for r in results for x in ((r, golden), ("radius." + r, lambda _, n: bound[:n] / 4),
                                                   ("bound.f64." + r, lambda _, n: bound[:n]))], shape)
    write(f"{folder}/answers/{name}.safetensors", [(r, lambda a, n: golden(a, n) + noise[:n]) for r in results], shape)
    return {"name": name, "op": "numerics.softmax", "parameters": {}, "flags": [],
            "sha256": {"prompt": prompt[0], "expected": expected[0]},
            "blocks": {"prompt": prompt[1], "expected": expected[1]}}


def make(folder, gigabytes):
    """The folders golden and answers; how many cases of how many rows."""
    cases = max(1, round(gigabytes * 1e9 / MOST + 0.499))
    rows = max(1, round(gigabytes * 1e9 / cases / (10 * 8 * WIDTH)))
    os.mkdir(f"{folder}/golden")
    os.mkdir(f"{folder}/answers")
    linked = bool(os.environ.get("DIFF_LINKED"))
    entries = [make_case(folder, f"case-{i}", rows) for i in range(1 if linked else cases)]
    for i in range(len(entries), cases):
        entries.append({**entries[0], "name": f"case-{i}"})
        for file in "golden/case-{}.prompt", "golden/case-{}.expected", "answers/case-{}":
            os.link(f"{folder}/{file.format(0)}.safetensors", f"{folder}/{file.format(i)}.safetensors")
    with open(f"{folder}/golden/manifest.json", "w") as f:
        json.dump({"smoeref": "0.1.0", "suite": "large", "seed": 1, "cases": entries}, f)
    return cases, rows


def tensors_of(path):
    with open(path, "rb") as f:
        n = int.from_bytes(f.read(8), "little")
        header = json.loads(f.read(n))
    return {name: numpy.memmap(path, "<f8", "r", 8 + n + t["data_offsets"][0], tuple(t["shape"]))
            for name, t in header.items() if name != "__metadata__"}


def allclose(folder, cases):
    """Seconds on the clock, and of the core."""
    start, cpu = time.perf_counter(), time.process_time()
    for i in range(cases):
        golden = tensors_of(f"{folder}/golden/case-{i}.expected.safetensors")
        for name, got in tensors_of(f"{folder}/answers/case-{i}.safetensors").items():
            if not numpy.allclose(got, golden[name], rtol=0, atol=1e-14):
                sys.exit("numpy.allclose: not close")
    return time.perf_counter() - start, time.process_time() - cpu


# In an interpreter of its own: a process begins with the memory of the one that it was forked from.
RUN = """
import resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
u = resource.getrusage(resource.RUSAGE_CHILDREN)
print(time.perf_counter() - start, u.ru_utime + u.ru_stime, u.ru_maxrss / 1024)
"""


def diff(smoeref, folder, *options):
    """Seconds on the clock, and of both cores; MiB."""
    command = [sys.executable, "-c", RUN, smoeref, "diff", f"{folder}/golden", f"{folder}/answers", *options]
    return [float(x) for x in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]


def gen(smoeref, folder):
    """Milliseconds of a core for each case of the suite core, at one precision."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([smoeref, "gen", "--suite", "core", "--precision", "f32", "--out", f"{folder}/core"], check=True,
                   stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(f"{folder}/core/manifest.json") as f:
        cases = len(json.load(f)["cases"])
    return cases, (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000 / cases


def main():
    smoeref = os.path.abspath(sys.argv[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory() as folder:
        cases, rows = make(folder, float(os.environ.get("DIFF_GB", "0.5")))
        answers = cases * rows * WIDTH * 16 / 1e9
        runs = {"smoeref diff": lambda: diff(smoeref, folder), "smoeref diff --verified": lambda: diff(smoeref, folder, "--verified"),
                "numpy.allclose": lambda: allclose(folder, cases)}
        told = {name: [] for name in runs}
        for _ in range(rounds):
            for name, run in runs.items():
                told[name].append(run())
        theirs = told.pop("numpy.allclose")
        other, other_cpu = (statistics.median(x[k] for x in theirs) for k in range(2))
        print(f"{answers:.2f} GB of answers, {4 * answers:.2f} GB of golden files, {cases} cases"
              f"{', all of them the files of one' if os.environ.get('DIFF_LINKED') else ''}")
        print(f"numpy.allclose (NumPy {numpy.__version__}) on answers and golden values: {other:.2f} s ({other_cpu:.2f} s of a core), "
              f"{answers / other:.2f} GB/s of answers")
        for name, ours in told.items():
            elapsed, cpu, memory = (statistics.median(x[k] for x in ours) for k in range(3))
            ratios = sorted(b[0] / a[0] for a, b in zip(ours, theirs))
            print(f"{name}: {elapsed:.2f} s ({cpu:.2f} s of cores), {answers / elapsed:.2f} GB/s of answers, "
                  f"{5 * answers / elapsed:.2f} GB/s of all files, {statistics.median(ratios):.2f} times as fast as numpy.allclose "
                  f"({ratios[0]:.2f} to {ratios[-1]:.2f}); {memory:.0f} MiB (limit {LIMIT})")
        count, milliseconds = gen(smoeref, folder)
        print(f"smoeref gen: {milliseconds:.1f} ms of a core for a case ({count} cases of suite core, f32)")
    sys.exit(0 if all(x[2] <= LIMIT for ours in told.values() for x in ours) else 1)


main()
