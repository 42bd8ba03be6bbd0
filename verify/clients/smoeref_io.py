"""What every client needs around its equations: prompts in, answers out, a number format in between.

    python3 client.py PROMPT ANSWER            [--precision f64|f32|tf32|bf16|f16]
    python3 client.py PROMPTS_DIR ANSWERS_DIR  [--precision ...]

A prompt is a safetensors file: the inputs of one operation (numbers, or indices as int64), a cotangent `d_<output>` for
each differentiable output, and in `__metadata__` the keys `op`, `parameters` (a JSON object as text) and `case`.  An answer
is a safetensors file with the outputs and a gradient `d_<input>` for each differentiable input.  In the folder form
NAME.prompt.safetensors is answered by NAME.safetensors.  Without --precision the environment variable SMOEREF_PRECISION
decides (`smoeref check` sets it), and without that it is f32.

Or without files, from a test or a prompt of Python: `judge("gate.weights", fn)` and, for pytest, the fixture
`smoeref_judge` (see below).

This file needs Python and NumPy only.  Copy it, or use the `safetensors` package instead: the format is the same.
"""
import argparse
import concurrent.futures
import functools
import inspect
import json
import keyword
import os
import select
import shlex
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

def _command(command):
    """The smoeref command: what was said, or $SMOEREF, or the one that was built in this tree, or the one on PATH."""
    built = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "smoeref")
    return command or os.environ.get("SMOEREF") or (built if os.access(built, os.X_OK) else "smoeref")


def _runner(command):
    """A function that runs the smoeref command with the words given, and raises RuntimeError if it could not do its work."""
    command = _command(command)

    def run(*words):
        try:
            ended = subprocess.run([command, *words], capture_output=True, text=True)
        except (FileNotFoundError, PermissionError):
            raise RuntimeError(f"no command '{command}': say where it is by command=... or $SMOEREF") from None
        if ended.returncode not in (0, 1):
            raise RuntimeError(ended.stderr.strip() or f"{command} ended with status {ended.returncode}")
        return ended

    return run


def check(answer, ops, precision="f32", suite="core", seed=1, where=(), command=None, report=None, defaults=False,
          forward=False, shrink=20):
    """Asserts that answer(op, parameters, inputs, cotangents, precision) -> {name: array} is right on a suite of cases.

    ops: operations or chapters ("balance.switch", "gate"); where: conditions such as "k=2" on the parameters;
    defaults: only cases in which every parameter has its default, none with a padding mask; forward: judge the outputs only, gradients are not owed;
    suite: one suite or several, "core,adversarial"; command: the smoeref command (default: $SMOEREF, or the one that was
    built in this tree, or the one on PATH); report: a file to write as well (.html, .xml, ...); shrink: where nothing known explains a failure,
    answer is asked about smaller cases for so many seconds, and the report shows the smallest that fails so.  Raises AssertionError with
    the text report if a verdict failed, RuntimeError if the command could not do its work.  For pytest:

        def test_balance():
            smoeref_io.check(answer, ["balance.switch"], precision="bf16")
    """
    __tracebackhide__ = True
    ops, where = ([x] if isinstance(x, str) else list(x) for x in (ops, where))
    suite = suite if isinstance(suite, str) else ",".join(suite)
    run = _runner(command)
    if not ops:
        raise ValueError("ops is empty: name an operation or a chapter, such as 'balance.switch' or 'gate'")
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)}")
    conditions = [word for condition in where for word in ("--where", condition)] + ["--defaults"] * defaults
    with tempfile.TemporaryDirectory() as folder:
        cases, answers = os.path.join(folder, "cases"), os.path.join(folder, "answers")
        os.mkdir(answers)
        run("gen", *ops, "--out", cases, "--suite", suite, "--seed", str(seed), "--precision", precision, *conditions)
        for name in sorted(os.listdir(cases)):
            if name.endswith(SUFFIX):
                path = os.path.join(answers, name[:-len(SUFFIX)] + ".safetensors")
                _answer_one(answer, os.path.join(cases, name), path, precision)
        judging = ["--precision", precision, "--quiet", *["--forward"] * forward, *(["--report", report] if report else [])]
        summary = os.path.join(folder, "report.json")
        verdict = run("diff", cases, answers, *judging, "--report", summary)
        text = verdict.stdout
        if verdict.returncode != 0 and shrink > 0 and _riddles(summary) and hasattr(os, "mkfifo"):
            text = _shrunk(answer, command, folder, precision, [cases, *judging, *conditions, "--shrink", str(int(shrink))]) or text
    if verdict.returncode != 0:
        raise AssertionError("\n" + text)


def _riddles(path):
    """Is there an operation of which no known mistake explains all failing cases?"""
    with open(path, encoding="utf-8") as f:
        return any(operation["failed"] and not operation["equals"] for operation in json.load(f)["operations"])


def _shrunk(answer, command, folder, precision, judging):
    """The report of `smoeref check`, whose program is this process; None if it did not come about.

    The program that it starts writes the two folders into a pipe, and waits at another one until their prompts are answered.
    """
    ask, ready = os.path.join(folder, "ask"), os.path.join(folder, "ready")
    program = 'printf "%s\\n%s\\n" "$0" "$1" >"$2"; read word <"$3"'
    words = ["sh", "-c", program, "{prompts}", "{answers}", ask, ready]
    pipes = [os.open(path, os.O_RDWR | os.O_NONBLOCK) for path in (ask, ready) if os.mkfifo(path) is None]
    asked = b""
    try:
        running = subprocess.Popen([_command(command), "check", "--cases", *judging, "--exec", " ".join(map(shlex.quote, words))],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            report = pool.submit(running.communicate)
            while not report.done():
                if not select.select(pipes[:1], [], [], 0.05)[0]:
                    continue
                asked += os.read(pipes[0], 1 << 16)
                while asked.count(b"\n") >= 2:
                    prompts, answers, asked = asked.split(b"\n", 2)
                    _answer_all(answer, os.fsdecode(prompts), os.fsdecode(answers), precision)
                    os.write(pipes[1], b"\n")
            return report.result()[0] if running.returncode == 1 else None
    finally:
        for pipe in pipes:
            os.close(pipe)


def _answer_all(answer, prompts, answers, precision):
    """What cannot be answered has no answer: a function need not take every size."""
    for name in sorted(os.listdir(prompts)):
        if not name.endswith(SUFFIX):
            continue
        try:
            _answer_one(answer, os.path.join(prompts, name), os.path.join(answers, name[:-len(SUFFIX)] + ".safetensors"), precision)
        except Exception:
            pass


def judge(op, fn, precision="f32", suite="core", seed=1, where=(), returns=None, tensors="numpy", device="cpu", command=None,
          report=None, defaults=False, forward=False, shrink=20):
    """Asserts that a function of yours computes an operation, forward and backward, on a suite of cases.

        def gate(r, k):                                  # any of the operation's inputs and parameters, by their names
            value, index = torch.topk(r, k)
            return {"index": index, "weight": torch.softmax(value, -1)}

        smoeref_io.judge("gate.weights", gate, tensors="torch", defaults=True)

    `smoeref explain gate.weights` lists the names.  fn is called once a case with those that its signature has (a name that
    Python reserves gets a _ behind it: lambda_), and returns a dict of outputs by name, or a tuple of them in the order
    that returns=("index", "weight") says, or one array where one output is owed.

    tensors="torch": the inputs are PyTorch tensors on `device` in the dtype of the precision, and the gradients come from
    autograd, unless fn returns them.  tensors="numpy": they are arrays, float64 for f64 and float32 for all else; fn takes the
    cotangents that it needs as well, d_<output>, and returns its own gradients, d_<input>, among the outputs.

    where: conditions such as "k=2", or a dict, {"order": ["topk-softmax", "softmax-topk-renorm"]}; defaults: only cases in
    which every parameter has its default; forward: judge the outputs only.  All else as for check().  Raises AssertionError with the report if a verdict
    failed or fn raised, TypeError if it and the operation do not fit, RuntimeError if the command could not do its work.
    """
    __tracebackhide__ = True
    if tensors not in ("numpy", "torch"):
        raise ValueError(f"tensors is {tensors!r}, expected 'numpy' or 'torch'")
    if isinstance(where, dict):
        where = [f"{name}={'|'.join(map(str, values if isinstance(values, (list, tuple)) else [values]))}"
                 for name, values in where.items()]
    record = _record(op, command or os.environ.get("SMOEREF"))
    names = _arguments(record, fn)

    def answer(op, parameters, inputs, cotangents, precision):
        give = _torch_given if tensors == "torch" else _numpy_given
        values = give(inputs, cotangents, precision, device)
        for tensor in record["inputs"]:
            if tensor["differentiable"] and tensors == "torch" and not forward:
                values[tensor["name"]].requires_grad_()
        given = {**{_word(name): value for name, value in parameters.items()}, **values}
        try:
            result = fn(**{name: given[name] for name in names})
            return _answer_of(record, result, returns, values, forward)
        except _Misfit:
            raise
        except Exception as error:
            raise AssertionError(f"{op}, {parameters}: {type(error).__name__}: {error}") from error

    check(answer, [op], precision, suite, seed, where, command, report, defaults, forward, shrink)


class _Misfit(TypeError):
    """A function and an operation that do not fit."""


def _word(name):
    """A parameter's name as a Python argument: lambda_ for lambda."""
    return name + "_" * keyword.iskeyword(name)


@functools.lru_cache
def _listed(command):
    """The operations by id, as `smoeref list --json` has them."""
    return {record["id"]: record for record in json.loads(_runner(command)("list", "--json").stdout)["operations"]}


def _record(op, command):
    listed = _listed(command)
    if op not in listed:
        import difflib
        close = difflib.get_close_matches(op, listed, 1)
        raise ValueError(f"unknown operation {op!r}" + (f"; did you mean {close[0]!r}?" if close else " (see smoeref list)"))
    return listed[op]


def _arguments(record, fn):
    """Which of the operation's names to call fn with."""
    known = [tensor["name"] for tensor in record["inputs"]]
    known += [word for word in (_word(p["name"]) for p in record["parameters"]) if word not in known]
    known += ["d_" + tensor["name"] for tensor in record["outputs"] if tensor["differentiable"]]
    wanted = inspect.signature(fn).parameters.values()
    if any(p.kind == p.VAR_KEYWORD for p in wanted):
        return known
    for p in wanted:
        if p.kind == p.POSITIONAL_ONLY or (p.name not in known and p.default is p.empty and p.kind != p.VAR_POSITIONAL):
            raise _Misfit(f"the function takes '{p.name}', but {record['id']} has {', '.join(known)}: arguments go by name; "
                          f"wrap it, for instance lambda {known[0]}: fn({known[0]})")
    return [p.name for p in wanted if p.name in known]


def _numpy_given(inputs, cotangents, precision, device):
    dtype = np.float64 if precision == "f64" else np.float32
    given = {**inputs, **{"d_" + name: value for name, value in cotangents.items()}}
    return {name: value if value.dtype.kind == "i" else value.astype(dtype) for name, value in given.items()}


def _torch_given(inputs, cotangents, precision, device):
    import torch
    dtype = {"f64": torch.float64, "bf16": torch.bfloat16, "f16": torch.float16}.get(precision, torch.float32)
    given = {**inputs, **{"d_" + name: value for name, value in cotangents.items()}}
    return {name: torch.tensor(value, dtype=torch.int64 if value.dtype.kind == "i" else dtype, device=device)
            for name, value in given.items()}


def _answer_of(record, result, returns, values, forward):
    """What fn returned as a dict by name, with the gradients that autograd has if it is made of PyTorch tensors."""
    outputs = [tensor["name"] for tensor in record["outputs"]]
    if not isinstance(result, dict):
        parts = result if isinstance(result, tuple) else (result,)
        names = [returns] if isinstance(returns, str) else returns
        if names is None:
            names = [t["name"] for t in record["outputs"] if not t["optional"] and t["kind"] not in ("stage", "margin")]
            if len(names) != 1:
                raise _Misfit(f"{record['id']} has the outputs {', '.join(outputs)}: return a dict of them by name, or say "
                              "what the function returns by returns=(...)")
        if len(names) != len(parts):
            raise _Misfit(f"the function returned {len(parts)} values, expected {len(names)}: {', '.join(names)}")
        result = dict(zip(names, parts))
    inputs = [t["name"] for t in record["inputs"] if t["differentiable"]]
    if forward or not any(hasattr(values[name], "requires_grad") for name in inputs):
        return result
    import torch
    reached = [t["name"] for t in record["outputs"]
               if t["differentiable"] and getattr(result.get(t["name"]), "requires_grad", False)]
    leaves = [name for name in inputs if "d_" + name not in result]
    gradients = [None] * len(leaves)
    if reached and leaves:
        for name in reached:
            if result[name].shape != values["d_" + name].shape:
                raise _Misfit(f"{name} has shape {list(result[name].shape)}, expected {list(values['d_' + name].shape)}")
        gradients = torch.autograd.grad([result[name] for name in reached], [values[name] for name in leaves],
                                        [values["d_" + name].to(result[name].dtype) for name in reached], allow_unused=True)
    return {**result, **{"d_" + name: torch.zeros_like(values[name]) if gradient is None else gradient
                         for name, gradient in zip(leaves, gradients)}}


if "pytest" in sys.modules:
    # For pytest: `pytest_plugins = ["smoeref_io"]` in conftest.py, or `pytest -p smoeref_io`.
    @sys.modules["pytest"].fixture
    def smoeref_judge():
        """judge(op, fn, ...) above: def test_gate(smoeref_judge): smoeref_judge("gate.weights", gate)"""
        return judge


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
