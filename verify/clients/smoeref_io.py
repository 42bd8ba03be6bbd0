"""What every client needs around its equations: prompts in, answers out, a number format in between.

    python3 client.py PROMPT ANSWER            [--precision f64|f32|tf32|bf16|f16]
    python3 client.py PROMPTS_DIR ANSWERS_DIR  [--precision ...]

A prompt is a safetensors file: the inputs of one operation (numbers, or indices as int64), a cotangent `d_<output>` for
each differentiable output, and in `__metadata__` the keys `op`, `parameters` (a JSON object as text) and `case`.  An answer
is a safetensors file with the outputs and a gradient `d_<input>` for each differentiable input.  In the folder form
NAME.prompt.safetensors is answered by NAME.safetensors.  Without --precision the environment variable SMOEREF_PRECISION
decides (`smoeref check` sets it), and without that it is f32.

This file needs Python and NumPy only.  Copy it, or use the `safetensors` package instead: the format is the same.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

SUFFIX = ".prompt.safetensors"
PRECISIONS = ("f64", "f32", "tf32", "bf16", "f16")
# Storage of an answer.  tf32 is a format of multipliers, not of memory: its tensors are F32.
STORAGE = {"f64": "F64", "f32": "F32", "tf32": "F32", "bf16": "BF16", "f16": "F16"}
# safetensors' name of a dtype -> NumPy's.  BF16 is read and written as the 16 bits that it is.
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8"}


class Unsupported(Exception):
    """The client does not compute this operation."""


# --- bfloat16: the upper half of a binary32 -------------------------------------------------------------------------

def bf16_bits(x):
    """The nearest bfloat16 of each float32 value, ties to even, as uint16."""
    x = np.ascontiguousarray(x, dtype=np.float32)
    bits = x.view(np.uint32).astype(np.uint64)
    bits += 0x7FFF + ((bits >> 16) & 1)                 # half a unit, less a bit if the kept part is even
    rounded = (bits >> 16).astype(np.uint16)
    return np.where(np.isnan(x), np.uint16(0x7FC0), rounded)


def bf16_values(bits):
    """The float32 values of bfloat16 bits."""
    return (np.asarray(bits, dtype=np.uint32) << 16).view(np.float32)


# --- safetensors: 8 bytes of header length, a JSON header, the data -------------------------------------------------

def read(path):
    """All tensors of a file as float64, float32 or int64 arrays by name, and its metadata (strings by string)."""
    with open(path, "rb") as f:
        header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        data = f.read()
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        flat = np.frombuffer(data[begin:end], dtype=DTYPES[entry["dtype"]])
        if entry["dtype"] == "BF16":
            flat = bf16_values(flat)
        if entry["dtype"] == "F16":
            flat = flat.astype(np.float32)
        tensors[name] = flat.reshape(entry["shape"])
    return tensors, metadata


def _array(value):
    """A NumPy array of what is one already, of numbers, or of a PyTorch tensor (on any device, with or without a graph)."""
    if value is None:
        raise TypeError("the array is None: a gradient that nothing reached is an array of zeros")
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if str(value.dtype) in ("torch.bfloat16", "torch.float16"):
            value = value.float()                        # exact; NumPy has no bfloat16
        value = value.numpy()
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"an array of {array.dtype}, expected real numbers or indices")
    return array


def write(path, tensors, dtype, metadata=None):
    """Writes floating-point arrays as `dtype` (F64, F32, BF16 or F16) and integer arrays as I64; PyTorch tensors too.  The
    file appears whole or not at all."""
    header, blobs, offset = {}, [], 0
    if metadata:
        header["__metadata__"] = metadata
    for name, value in tensors.items():
        try:
            value = _array(value)
        except TypeError as reason:
            raise TypeError(f"{name}: {reason}") from None
        kind = "I64" if value.dtype.kind in "iu" else dtype
        with np.errstate(over="ignore", under="ignore"):
            blob = (bf16_bits(value) if kind == "BF16" else value.astype(DTYPES[kind])).tobytes()
        header[name] = {"dtype": kind, "shape": list(value.shape), "data_offsets": [offset, offset + len(blob)]}
        offset += len(blob)
        blobs.append(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)                      # the data start on a multiple of 8
    part = path + ".part"
    with open(part, "wb") as f:
        f.write(len(text).to_bytes(8, "little"))
        f.write(text)
        f.write(b"".join(blobs))
    os.replace(part, path)


# --- from a test of your own ----------------------------------------------------------------------------------------

def check(answer, ops, precision="f32", suite="core", seed=1, where=(), command=None, report=None):
    """Asserts that answer(op, parameters, inputs, cotangents, precision) -> {name: array} is right on a suite of cases.

    ops: operations or chapters ("balance.switch", "gate"); where: conditions such as "k=2" on the parameters;
    suite: one suite or several, "core,adversarial"; command: the smoeref command (default: $SMOEREF, or the one that was
    built in this tree, or the one on PATH); report: a file to write as well (.html, .xml, ...).  Raises AssertionError with
    the text report if a verdict failed, RuntimeError if the command could not do its work.  For pytest:

        def test_balance():
            smoeref_io.check(answer, ["balance.switch"], precision="bf16")
    """
    ops, where = ([x] if isinstance(x, str) else list(x) for x in (ops, where))
    suite = suite if isinstance(suite, str) else ",".join(suite)
    if not ops:
        raise ValueError("ops is empty: name an operation or a chapter, such as 'balance.switch' or 'gate'")
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)}")
    built = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "smoeref")
    command = command or os.environ.get("SMOEREF") or (built if os.access(built, os.X_OK) else "smoeref")

    def run(*words):
        try:
            ended = subprocess.run([command, *words], capture_output=True, text=True)
        except FileNotFoundError:
            raise RuntimeError(f"no command '{command}': say where it is by command=... or $SMOEREF") from None
        if ended.returncode not in (0, 1):
            raise RuntimeError(ended.stderr.strip() or f"{command} ended with status {ended.returncode}")
        return ended

    conditions = [word for condition in where for word in ("--where", condition)]
    with tempfile.TemporaryDirectory() as folder:
        cases, answers = os.path.join(folder, "cases"), os.path.join(folder, "answers")
        os.mkdir(answers)
        run("gen", *ops, "--out", cases, "--suite", suite, "--seed", str(seed), "--precision", precision, *conditions)
        for name in sorted(os.listdir(cases)):
            if name.endswith(SUFFIX):
                path = os.path.join(answers, name[:-len(SUFFIX)] + ".safetensors")
                _answer_one(answer, os.path.join(cases, name), path, precision)
        verdict = run("diff", cases, answers, "--precision", precision, "--quiet",
                      *(["--report", report] if report else []))
    assert verdict.returncode == 0, "\n" + verdict.stdout


# --- the command line -----------------------------------------------------------------------------------------------

def _answer_one(answer, prompt, path, precision):
    tensors, metadata = read(prompt)
    inputs = {name: value for name, value in tensors.items() if not name.startswith("d_")}
    cotangents = {name[2:]: value for name, value in tensors.items() if name.startswith("d_")}
    parameters = json.loads(metadata.get("parameters", "{}"))
    try:
        result = answer(metadata["op"], parameters, inputs, cotangents, precision)
        if not isinstance(result, dict):
            raise TypeError(f"{metadata['op']}: the answer is a {type(result).__name__}, expected a dict of arrays by name")
    except Unsupported as reason:
        # Nothing is written: the verdict on a missing answer is a failure, which is what it should be.
        print(f"{os.path.basename(sys.argv[0])}: {prompt}: {reason}", file=sys.stderr)
        return False
    write(path, result, STORAGE[precision])
    return True


def main(answer):
    """Runs answer(op, parameters, inputs, cotangents, precision) -> {name: array} on what the command line names."""
    parser = argparse.ArgumentParser(description="Answers smoeref prompts.")
    parser.add_argument("prompt", help="NAME.prompt.safetensors, or a folder of such files")
    parser.add_argument("answer", help="the file to write, or the folder for NAME.safetensors")
    parser.add_argument("--precision", choices=PRECISIONS, default=os.environ.get("SMOEREF_PRECISION") or "f32")
    args = parser.parse_args()
    if args.precision not in PRECISIONS:
        parser.error(f"SMOEREF_PRECISION is '{args.precision}', expected one of {', '.join(PRECISIONS)}")
    if not os.path.isdir(args.prompt):
        return 0 if _answer_one(answer, args.prompt, args.answer, args.precision) else 1
    os.makedirs(args.answer, exist_ok=True)
    for name in sorted(os.listdir(args.prompt)):
        if name.endswith(SUFFIX):
            path = os.path.join(args.answer, name[:-len(SUFFIX)] + ".safetensors")
            _answer_one(answer, os.path.join(args.prompt, name), path, args.precision)
    return 0
