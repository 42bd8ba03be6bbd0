#!/usr/bin/env python3
"""What the smoeref command does where the machine fails it.  Used by sanitize.sh.

  disturb.py rounding|syscalls|allocations COMMAND PRELOAD [--sites N] [--only SCENARIO,...] [--verbose]

rounding     each subcommand starts in each foreign rounding mode, and with subnormals flushed: it must refuse, with status 4
syscalls     each system call of the kinds below fails, one at a time (strace injects it); writes are short
allocations  one allocation fails at a time: of those that come by the same callers the first --sites (0: all)

After a system call or an allocation has failed, either all is as without it (the same status, the same bytes in every file and on
standard output), or the status is 3, standard error says why, and every file that is there under its own name is whole.
"""
import argparse
import concurrent.futures
import json
import mmap
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

SANITIZER_STATUS = 99  # of AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer
ENVIRONMENT_STATUS, INPUT_STATUS = 4, 3
SYSCALLS = {
    "write": ("ENOSPC", "EIO", "EINTR"),
    "read": ("EIO", "EINTR"),
    "openat": ("EMFILE", "ENOSPC"),
    "close": ("EIO",),
    "fsync": ("EIO",),
    "rename": ("EIO", "ENOSPC"),
    "mkdir": ("ENOSPC",),
    "ftruncate": ("EIO",),
    "clone": ("EAGAIN",),
    "clone3": ("EAGAIN",),
}


class Scenario:
    """A run of the command in a folder of its own; it may change `out` and nothing else."""

    def __init__(self, name, arguments, before=None, stdin=None, follow=True):
        self.name, self.arguments, self.before, self.stdin, self.follow = name, arguments, before, stdin, follow


def read_tensors(path):
    with open(path, "rb") as f:
        data = f.read()
    n = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8 : 8 + n]), data[8 + n :]
    header.pop("__metadata__", None)
    return header, body


def write_tensors(path, header, body):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + body)


def answer_from(expected):
    """The outputs and gradients among what is stored with a golden case, as an answer."""
    header, body = read_tensors(expected)
    kept, data = {}, b""
    for name, entry in header.items():
        if "." in name or "/" in name:
            continue  # radii and bounds
        begin, end = entry["data_offsets"]
        kept[name] = dict(entry, data_offsets=[len(data), len(data) + end - begin])
        data += body[begin:end]
    return kept, data


def stream_answer(name, header, body):
    tensors = {}
    for tensor, entry in header.items():
        begin, end = entry["data_offsets"]
        kind = {"F64": "d", "I64": "q"}[entry["dtype"]]
        values = struct.unpack(f"<{(end - begin) // 8}{kind}", body[begin:end])
        tensors[tensor] = {"dtype": entry["dtype"], "shape": entry["shape"], "data": list(values)}
    return json.dumps({"name": name, "tensors": tensors})


def prepare(command, base):
    """The inputs of all scenarios, made by the command itself, undisturbed."""

    def run(*arguments, **more):
        return subprocess.run([command, *arguments], cwd=base, check=True, stdout=subprocess.PIPE, **more).stdout

    os.makedirs(f"{base}/answers")
    os.makedirs(f"{base}/wrong")
    ops = ["gate.weights", "balance.zloss", "--suite", "smoke"]
    run("gen", *ops, "--out", "golden", "--precision", "f64")
    with open(f"{base}/golden/manifest.json") as f:
        cases = [case["name"] for case in json.load(f)["cases"]]
    lines = run("gen", "--stream", *ops).decode().splitlines()[:1]
    for i, name in enumerate(cases):
        header, body = answer_from(f"{base}/golden/{name}.expected.safetensors")
        write_tensors(f"{base}/answers/{name}.safetensors", header, body)
        lines.append(stream_answer(name, header, body))
        wrong = bytearray(body)
        begin = header.get("loss", header.get("weight"))["data_offsets"][0]
        wrong[begin + 6] ^= 0x20  # a large part of a number
        write_tensors(f"{base}/wrong/{name}.safetensors", header, bytes(wrong))
    with open(f"{base}/stream", "w") as f:
        f.write("\n".join(lines) + "\n")
    with open(f"{base}/client.sh", "w") as f:
        f.write('name=${1##*/}\ncp "${0%/*}/answers/${name%.prompt.safetensors}.safetensors" "$2"\n')
    rows = 40
    values = struct.pack(f"<{3 * rows * 4}d", *((i * i * 37 % 101) / 7 for i in range(3 * rows * 4)))
    write_tensors(f"{base}/dump.safetensors", {"experts": {"dtype": "F64", "shape": [3, rows, 4], "data_offsets": [0, len(values)]}}, values)
    run("rates", "exact", "--n", "100,200", "--repeats", "2", "--estimator", "oracle", "--shard", "1/2", "--out", "one.jsonl")
    run("rates", "exact", "--n", "100,200", "--repeats", "2", "--estimator", "oracle", "--shard", "2/2", "--out", "two.jsonl")
    return cases


def scenarios(base, cases):
    ops = ["gate.weights", "balance.zloss", "--suite", "smoke"]
    prompt = f"{base}/golden/{cases[0]}.prompt.safetensors"
    reports = [word for ext in ("txt", "html", "tap", "json", "xml") for word in ("--report", f"out/r.{ext}")]

    def old(path):  # something is there already: it stays, or it is replaced as a whole
        return lambda folder: open(f"{folder}/{path}", "w").write("old\n")

    return [
        Scenario("gen", ["gen", *ops, "--out", "out/golden", "--jobs", "1", "--precision", "f64"]),
        Scenario("stream", ["gen", "--stream", "gate.weights", "--suite", "smoke"]),
        Scenario("eval", ["eval", "--in", prompt, "--out", "out/e.safetensors"], before=old("out/e.safetensors")),
        Scenario("check", ["check", *ops, "--exec", f"sh {base}/client.sh {{prompt}} {{answer}}", "--jobs", "1", *reports[:2]], follow=False),
        Scenario("diff", ["diff", f"{base}/golden", f"{base}/answers", "--jobs", "1", "--power", *reports], before=old("out/r.xml")),
        Scenario("wrong", ["diff", f"{base}/golden", f"{base}/wrong", "--jobs", "1", *reports]),
        Scenario("ver", ["ver", "--jobs", "1", "--report", "out/r.json"], stdin=f"{base}/stream"),
        Scenario("cka", ["cka", f"{base}/dump.safetensors", "--bootstrap", "100", "--batch", "5", "--json", "out/c.json", "--csv", "out/c.csv"]),
        Scenario("rates", ["rates", "exact", "--n", "100,200", "--repeats", "2", "--estimator", "oracle", "--workers", "1", "--out", "out/r.jsonl", "--json"]),
        Scenario("merge", ["rates", "merge", f"{base}/one.jsonl", f"{base}/two.jsonl", "--out", "out/m.jsonl"]),
        Scenario("list", ["list", "--json"]),
        Scenario("explain", ["explain", "gate.weights"]),
        Scenario("variants", ["variants", "--json"]),
        Scenario("vectors", ["vectors", "verify", f"{base}/golden"]),
        Scenario("gradcheck", ["gradcheck", "balance.zloss", "--suite", "smoke", "--jobs", "1"]),
    ]


class Outcome:
    def __init__(self, status, files, stderr):
        self.status, self.files, self.stderr = status, files, stderr


def run(command, scenario, environment=None, wrapper=(), keep=None):
    """One run, in a new folder: its status, the files under out with standard output among them, standard error."""
    folder = keep or tempfile.mkdtemp(dir=WORK)
    os.makedirs(f"{folder}/out", exist_ok=True)
    os.makedirs(f"{folder}/tmp", exist_ok=True)
    if scenario.before:
        scenario.before(folder)
    env = dict(os.environ, TMPDIR=f"{folder}/tmp", **SANITIZERS, **(environment or {}))
    with open(f"{folder}/stdout", "wb") as out, open(f"{folder}/stderr", "wb") as err:
        with open(scenario.stdin or os.devnull, "rb") as stdin:
            try:
                status = subprocess.run([*wrapper, command, *scenario.arguments], cwd=folder, env=env, stdin=stdin, stdout=out, stderr=err, timeout=120).returncode
            except subprocess.TimeoutExpired:
                status = "it never ended"
    files = {}
    for top in ("out", "tmp"):
        for path, _, names in os.walk(f"{folder}/{top}"):
            if path == f"{folder}/tmp":
                names = list(names)
            for name in names:
                with open(f"{path}/{name}", "rb") as f:
                    files[os.path.relpath(f"{path}/{name}", folder)] = f.read()
    with open(f"{folder}/stdout", "rb") as f:
        files["stdout"] = f.read()
    with open(f"{folder}/stderr", "rb") as f:
        stderr = f.read().decode(errors="replace")
    shutil.rmtree(folder)
    return Outcome(status, files, stderr)


def undisturbed(command, scenario):
    """The run that the others are compared with; one that does nothing would excuse them all."""
    good, expected = run(command, scenario), 1 if scenario.name == "wrong" else 0
    if good.status != expected:
        sys.exit(f"disturb: {scenario.name}: status {good.status} without a fault, expected {expected}: {good.stderr}")
    return good


def lines_of(whole, content):
    """Are these lines of the whole, in any order, the last perhaps torn?"""
    *lines, last = content.split(b"\n")
    return set(lines) <= set(whole.split(b"\n")) and any(line.startswith(last) for line in whole.split(b"\n"))


def complaint(good, outcome, words, mute):
    """What is wrong with the outcome of a run with a fault; None if nothing is.  mute: the message itself could not be written."""
    if isinstance(outcome.status, str):
        return outcome.status
    if "AsanThread::Init" in outcome.stderr:
        return None  # a thread that AddressSanitizer itself could not start
    if outcome.status == SANITIZER_STATUS or "Sanitizer" in outcome.stderr or "runtime error" in outcome.stderr:
        return "a sanitizer reports"
    if outcome.status < 0 or outcome.status >= 128:
        return f"ended by signal {-outcome.status if outcome.status < 0 else outcome.status - 128}"
    if outcome.status == good.status:
        if outcome.files == good.files:
            return None
        changed = sorted(n for n in set(good.files) | set(outcome.files) if good.files.get(n) != outcome.files.get(n))
        return f"status {outcome.status} as without the fault, but other bytes in {', '.join(changed)}"
    if outcome.status == 127 and "error while loading shared libraries" in outcome.stderr:
        return None  # before main()
    if outcome.status != INPUT_STATUS:
        return f"status {outcome.status}, expected {INPUT_STATUS}"
    if not (mute and outcome.stderr == "") and not re.search(r"^smoeref.*" + words, outcome.stderr, re.M):
        return "status 3, but no message says why"
    for name, content in outcome.files.items():
        if name == "stdout" or content == good.files.get(name) or content == b"old\n":
            continue
        if name.endswith(".jsonl") and name in good.files and lines_of(good.files[name], content):
            continue  # results of rates, which are added line by line as they come, put in order at the end, and resumed
        return f"{name} is left behind" if name not in good.files else f"{name} is not whole"
    return None


def in_parallel(work):
    """Runs (label, function) pairs, JOBS at a time; how many, and prints those that a function complains of."""
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS") or os.cpu_count() or 1)) as pool:
        futures = [(label, pool.submit(function)) for label, function in work]
        for label, future in futures:
            wrong = future.result()
            if wrong:
                failed += 1
                print(f"disturb: {label}: {wrong}", flush=True)
    return len(work), failed


def rounding(options, all_scenarios):
    modes = ("upward", "downward", "zero", "ftz", "daz", "flush")
    work = []
    for scenario in all_scenarios:
        for mode in modes:

            def refuses(scenario=scenario, mode=mode):
                o = run(options.command, scenario, {"LD_PRELOAD": options.preload, "DISTURB_ROUNDING": mode})
                if o.status != ENVIRONMENT_STATUS or "breaks the numerics policy" not in o.stderr:
                    return f"status {o.status}, expected a refusal with status {ENVIRONMENT_STATUS}"
                return "it wrote" if any(content not in (b"", b"old\n") for content in o.files.values()) else None

            work.append((f"{scenario.name}: {mode}", refuses))
    count, failed = in_parallel(work)
    allowed = 0
    for scenario in all_scenarios:  # 53 bits in the i387's registers: there are no 64-bit long doubles, and the bits are the same without
        if scenario.name not in ("eval", "gen"):
            continue
        good = undisturbed(options.command, scenario)
        o = run(options.command, scenario, {"LD_PRELOAD": options.preload, "DISTURB_ROUNDING": "i387"})
        allowed += 1
        if (o.status, o.files) != (good.status, good.files):
            failed += 1
            print(f"disturb: {scenario.name}: i387: other bytes, or status {o.status}")
    print(f"rounding: {count} starts in {len(modes)} foreign states of the unit refused, {allowed} with a short i387 gave the same bytes; {failed} failed")
    return failed


def syscalls(options, all_scenarios):
    total, failed, short = 0, 0, 0
    for scenario in all_scenarios:
        good = undisturbed(options.command, scenario)
        follow = ["-f"] if scenario.follow else []
        log = f"{WORK}/{scenario.name}.trace"
        run(options.command, scenario, wrapper=["strace", *follow, "-qq", "-o", log, "-e", "trace=" + ",".join(SYSCALLS)])
        counts = {}
        with open(log) as f:
            for line in f:
                found = re.match(r"(\d+ +)?(?:<\.\.\. )?(\w+)\(", line)
                if found:
                    key = (found[1] or "", found[2])
                    counts[key] = counts.get(key, 0) + 1
        work = []
        for call, errors in SYSCALLS.items():
            most = max((n for (_, name), n in counts.items() if name == call), default=0)
            for n in range(1, most + 1):
                if options.sites and n > options.sites and n <= most - options.sites:
                    continue  # the first and the last of each kind
                for error in errors:
                    trace = f"{WORK}/{scenario.name}.{call}.{n}.{error}.trace"
                    wrapper = ["strace", *follow, "-qq", "-o", trace, "--trace=" + call, f"--inject={call}:error={error}:when={n}"]

                    def fault(scenario=scenario, wrapper=wrapper, good=good, trace=trace):
                        outcome = run(options.command, scenario, wrapper=wrapper)
                        with open(trace) as f: # strace counts by process: did a message meet the fault?
                            mute = re.search(r"\bwrite\(2,.*\(INJECTED\)", f.read()) is not None
                        os.unlink(trace)
                        return complaint(good, outcome, "", mute)

                    work.append((f"{scenario.name}: {call} {n} of {most}: {error}", fault))
        for most in (1, 7):

            def slow(scenario=scenario, most=most, good=good):
                o = run(options.command, scenario, {"LD_PRELOAD": options.preload, "DISTURB_SHORT": str(most)})
                if scenario.name == "rates":  # a line is written in one piece, for others may be writing too; or not at all
                    return complaint(good, o, "no space for a line", False)
                return None if (o.status, o.files) == (good.status, good.files) else f"status {o.status}, or other bytes"

            work.append((f"{scenario.name}: writes of {most} bytes", slow))
            short += 1
        n, bad = in_parallel(work)
        total, failed = total + n, failed + bad
        if options.verbose:
            print(f"syscalls: {scenario.name}: {n}, {bad} failed", flush=True)
    print(f"syscalls: {total - short} faults in {len(all_scenarios)} runs of the command, and {short} runs with short writes; {failed} failed")
    return failed


HEADER, SITE, SITES = 32, 16, 1 << 16  # of struct board in disturb.c


def new_board(path, failing, per_site, notes):
    with open(path, "wb") as f:
        f.write(struct.pack("<4Q", 0, failing, per_site, 0))
        f.truncate(HEADER + SITES * SITE + 8 * notes)


def allocations(options, all_scenarios):
    total, failed, of = 0, 0, 0
    for scenario in all_scenarios:
        good = undisturbed(options.command, scenario)
        path = f"{WORK}/{scenario.name}.board"
        notes = 1 << 20
        new_board(path, 0, options.sites or 1 << 60, notes)
        seen = run(options.command, scenario, {"LD_PRELOAD": options.preload, "DISTURB_ALLOCATIONS": path})
        if (seen.status, seen.files) != (good.status, good.files):
            print(f"disturb: {scenario.name}: counting its allocations changes it: {seen.status} {seen.stderr}")
            failed += 1
            continue
        with open(path, "rb") as f:
            count, _, _, noted = struct.unpack("<4Q", f.read(HEADER))
            f.seek(HEADER + SITES * SITE)
            numbers = struct.unpack(f"<{min(noted, notes)}Q", f.read(8 * min(noted, notes)))
        os.unlink(path)
        work = []
        for number in sorted(numbers):

            def fault(scenario=scenario, number=number, good=good):
                board = f"{WORK}/{scenario.name}.{number}.board"
                new_board(board, number, 0, 0)
                o = run(options.command, scenario, {"LD_PRELOAD": options.preload, "DISTURB_ALLOCATIONS": board})
                os.unlink(board)
                wrong = complaint(good, o, "memory", False)
                if wrong and options.verbose:
                    wrong += "\n" + o.stderr[-3000:]
                return wrong

            work.append((f"{scenario.name}: allocation {number} of {count}", fault))
        n, bad = in_parallel(work)
        total, failed, of = total + n, failed + bad, of + count
        if options.verbose:
            print(f"allocations: {scenario.name}: {n} of {count}, {bad} failed", flush=True)
    print(f"allocations: {total} of {of} failed, one at a time, in {len(all_scenarios)} runs of the command; {failed} failed")
    return failed


parser = argparse.ArgumentParser()
parser.add_argument("part", choices=["rounding", "syscalls", "allocations"])
parser.add_argument("command")
parser.add_argument("preload")
parser.add_argument("--sites", type=int, default=1)
parser.add_argument("--only", default="")
parser.add_argument("--verbose", action="store_true")
options = parser.parse_args()
options.command, options.preload = os.path.abspath(options.command), os.path.abspath(options.preload)
WORK = tempfile.mkdtemp()
SANITIZERS = {
    "ASAN_OPTIONS": f"exitcode={SANITIZER_STATUS}:verify_asan_link_order=0:allocator_may_return_null=1:detect_leaks={0 if options.part == 'syscalls' else 1}",
    "LSAN_OPTIONS": f"exitcode={SANITIZER_STATUS}:print_suppressions=0:suppressions={WORK}/suppressions",
    "UBSAN_OPTIONS": f"exitcode={SANITIZER_STATUS}:print_stacktrace=1",
}
with open(f"{WORK}/suppressions", "w") as f:
    f.write("leak:dl_open\n")  # backtrace() of disturb.c loads a library
try:
    os.makedirs(f"{WORK}/base")
    found = scenarios(f"{WORK}/base", prepare(options.command, f"{WORK}/base"))
    if options.only:
        found = [s for s in found if s.name in options.only.split(",")]
    sys.exit(1 if {"rounding": rounding, "syscalls": syscalls, "allocations": allocations}[options.part](options, found) else 0)
finally:
    shutil.rmtree(WORK)
