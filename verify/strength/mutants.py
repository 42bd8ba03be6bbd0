#!/usr/bin/env python3
"""Do the unit tests notice mistakes in ref/?  One small mistake at a time is put into a copy of a source, and the tests run.

    make mutants SAMPLE=40 SEED=1      (or: mutants.py [--sample N] [--seed S] [--file balance.c] TEST ..., in the build folder)

mutate.py says which mistakes.  Not counted are those that do not compile, and those whose object file is the original's, byte by
byte.  Each of the others meets the test programs that run its line, the cheapest first; a failure kills it, and so do a crash and
running out of time.  What is left meets the quick ones of them once more with AddressSanitizer in the library, which sees reads past
an end.  The score has its 95 % interval (Wilson's) beside it.  ./bootstrap verify does not run this.

Survivors are either a missing test or in mutants.equivalent with a reason.  Exit status 1 if one is neither, if an entry there matches no
mutant, if a mutant named there is killed, or if a control fails.  Results are kept in mutants/ and taken up again
while the sources and tests are the same; JOBS says how many run side by side.
"""
import argparse
import concurrent.futures
import hashlib
import json
import math
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

from mutate import Source

HERE = pathlib.Path(__file__).resolve().parent
REF = HERE.parent.parent / "ref"
WORK = pathlib.Path("mutants").resolve()
CC, GCOV = os.environ.get("CC_GCC", "gcc"), os.environ.get("GCOV", "gcov")
POLICY = ["-std=c11", "-ffp-contract=off", "-fPIC", "-g0", "-DHAVE_CONFIG_H", f"-I{os.getcwd()}", f"-I{REF}"]
ASAN = ["-O1", "-fsanitize=address"]
QUICK = 20  # seconds: a test program that takes no longer meets the library with AddressSanitizer too
REFUSED = ["-Wfloat-conversion"] + ["-Werror=" + w for w in (
    "float-conversion", "int-conversion", "incompatible-pointer-types", "discarded-qualifiers", "implicit-function-declaration")]


def build(folder, name, text, flags):
    """The object file of a source, or None: compiled under the same name wherever it is, so that objects can be compared."""
    (folder / name).write_text(text)
    done = subprocess.run([CC, *POLICY, *flags, "-c", name], cwd=folder, capture_output=True, text=True)
    made = folder / (name[:-2] + ".o")
    return made if done.returncode == 0 else None


def link(folder, objects, *flags):
    libs = subprocess.run(["pkg-config", "--libs", "mpfr"], capture_output=True, text=True, check=True).stdout.split()
    subprocess.run([CC, "-shared", *flags, "-Wl,-soname,libsmoeref.so.0", "-o", "libsmoeref.so.0", *map(str, objects), *libs, "-lm"],
                   cwd=folder, check=True)


def run(test, folder, seconds, asan=False, **more):
    """None if the test passes with the library of that folder, else why not; ended at the first failure."""
    if asan:
        runtime = subprocess.run([CC, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout.strip()
        more = dict(more, LD_PRELOAD=runtime, ASAN_OPTIONS="detect_leaks=0")
    environment = dict(os.environ, LD_LIBRARY_PATH=str(folder), top_srcdir=str(REF.parent), CK_TAP_LOG_FILE_NAME="-", CK_VERBOSITY="silent",
                       CK_TIMEOUT_MULTIPLIER="10", **more)
    memory = "" if asan else "ulimit -v 8000000;"  # AddressSanitizer reserves more than that
    # of processor time for each test of the program; dash takes one limit at a time
    limits = f"ulimit -c 0; {memory} ulimit -t {math.ceil(seconds) * (4 if asan else 1) + 5}; exec \"$0\""
    child = subprocess.Popen(["sh", "-c", limits, test], cwd=folder, env=environment, text=True, errors="replace",
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                             start_new_session=True)  # Check hands SIGTERM on to its whole group

    def end():  # with the processes that it has begun: one of them that stays would keep the pipe open
        try:
            os.killpg(child.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass

    late = threading.Timer(60 + 20 * seconds, end)
    late.start()
    failed = next((line.strip() for line in child.stdout if line.startswith("not ok")), None)
    if failed:
        end()
    try:
        child.wait(10)
    except subprocess.TimeoutExpired:
        child.kill()
    late.cancel()
    child.stdout.close()
    return failed or (f"exit status {child.wait()}" if child.wait() else None)


def reached(sources, tests):
    """{test: {"seconds": its time, "lines": {file: {line: how often it runs}}}}, and that every test passes on the unmutated sources."""
    folder = WORK / "reach"
    folder.mkdir()
    objects = [build(folder, s.name, s.text, ["-O0", "--coverage"]) for s in sources]
    link(folder, objects, "--coverage")
    found = {}
    for test in tests:
        there = folder / pathlib.Path(test).name
        there.mkdir()
        start = time.time()
        failed = run(test, folder, 3600, GCOV_PREFIX=str(there), GCOV_PREFIX_STRIP="99")
        if failed:
            raise SystemExit(f"mutants: {test} fails without a mutant: {failed}")
        found[test] = {"seconds": round(time.time() - start, 2), "lines": {}}
        for counts in there.glob("*.gcda"):
            counts.with_suffix(".gcno").write_bytes((folder / (counts.stem + ".gcno")).read_bytes())
            told = json.loads(subprocess.run([GCOV, "--json-format", "--stdout", counts.name], cwd=there, capture_output=True).stdout)
            for file in told["files"]:
                if file["file"] == counts.stem + ".c":
                    found[test]["lines"][file["file"]] = {line["line_number"]: line["count"] for line in file["lines"]}
        print(f"mutants: {pathlib.Path(test).name} passes without a mutant ({found[test]['seconds']} s)", file=sys.stderr)
    return found


def judge(mutant, source, reach, force=False):
    """{"status": killed | survived | stillborn | same, "by": ..., "seconds": ...} of one mutant."""
    start, end, new, line, function = mutant
    began = time.time()
    with tempfile.TemporaryDirectory(dir=WORK) as name:
        folder = pathlib.Path(name)
        made = build(folder, source.name, source.text[:start] + new + source.text[end:], ["-O2", *REFUSED])
        if made is None:
            return {"status": "stillborn"}
        plain = WORK / "plain" / made.name
        if made.read_bytes() == plain.read_bytes() and not force:
            return {"status": "same"}
        link(folder, [made] + [o for o in sorted(plain.parent.glob("*.o")) if o != plain])
        tests = []
        for test in sorted(reach, key=lambda t: reach[t]["seconds"]):
            counts = reach[test]["lines"].get(source.name, {})
            near = max((int(n) for n in counts if int(n) <= line), default=None)  # a statement's later lines have no count
            if counts and (function == "-" or near is None or counts[str(near)] > 0):
                tests.append(test)
        tries = [(t, False) for t in tests] + [(t, True) for t in tests if reach[t]["seconds"] <= QUICK]
        for test, asan in tries:
            if asan and (test, True) == next(t for t in tries if t[1]):
                made = build(folder, source.name, source.text[:start] + new + source.text[end:], [*ASAN, *REFUSED])
                link(folder, [made] + [o for o in sorted((WORK / "asan").glob("*.o")) if o.name != made.name], "-fsanitize=address")
            why = run(test, folder, reach[test]["seconds"], asan)
            if why:
                by = pathlib.Path(test).name + (" with AddressSanitizer" if asan else "")
                return {"status": "killed", "by": by, "why": why, "seconds": round(time.time() - began, 1)}
    return {"status": "survived", "by": f"{len(tests)} test programs", "seconds": round(time.time() - began, 1)}


def controls(sources, reach):
    """A mutant that must die dies; a library made in the same way without a mistake passes."""
    balance = next(s for s in sources if s.name == "balance.c")
    names = [i for i, m in balance.found.items() if ":operator:++->--" in i and m[4] == "smoe_expert_load"
             and "count[choice[a]]++;" in balance.text.splitlines()[m[3] - 1]]
    if len(names) != 1:
        raise SystemExit("mutants: the control count[choice[a]]++ of smoe_expert_load is gone; choose another")
    found = balance.found[names[0]]
    if judge(found, balance, reach)["status"] != "killed":
        raise SystemExit(f"mutants: the control {names[0]} is not killed")
    told = judge((*found[:2], "++", *found[3:]), balance, reach, force=True)
    if told["status"] != "survived" or told["by"].startswith("0 "):
        raise SystemExit(f"mutants: the library without a mistake is {told}")
    print(f"mutants: controls: {names[0]} is killed, no mistake survives {told['by']}")


def is_at(text, line, column):
    """Is that column of the line inside this text, which the line has once?"""
    return line.count(text) == 1 and line.find(text) <= column < line.find(text) + len(text)


def equivalents(sources, file="mutants.equivalent"):
    """{id: reason} from that file, whose entries name a mutant by its function and source text; problems."""
    known, problems = {}, []
    text = re.sub(r"^#.*\n", "", (HERE / file).read_text(), flags=re.M)
    for block in filter(None, (b.strip() for b in re.split(r"\n\s*\n", text))):
        entry = dict(line.split(": ", 1) for line in block.split("\n"))
        if set(entry) - {"at"} != {"in", "line", "mutant", "reason"} or not entry["reason"].strip():
            problems.append(f"{file}: in, line, mutant and reason are owed: {block}")
            continue
        source, function = entry["in"].split()
        fits = [i for s in sources if s.name == source for i, m in s.found.items()
                if m[4] == function and i.split(":", 3)[3] == entry["mutant"] and entry["line"] in s.text.splitlines()[m[3] - 1]
                and ("at" not in entry or is_at(entry["at"], s.text.splitlines()[m[3] - 1], int(i.split(":")[2]) - 1))]
        if not fits:
            problems.append(f"{file}: this entry matches no mutant: {block}")
        known.update(dict.fromkeys(fits, entry["reason"]))
    return known, problems


def prepare(sources, tests):
    """What the tests reach, from the last run if nothing has changed since; else everything anew."""
    digest = hashlib.sha256()
    for path in [*sorted(REF.glob("*.[ch]")), *sorted(map(pathlib.Path, tests))]:
        digest.update(path.read_bytes())
    reach, key = WORK / "reach.json", digest.hexdigest()
    if not reach.exists() or json.loads(reach.read_text())["key"] != key:
        subprocess.run(["rm", "-rf", str(WORK)], check=True)
        for kind, flags in ("plain", ["-O2"]), ("asan", ASAN):
            (WORK / kind).mkdir(parents=True)
            for s in sources:
                if not build(WORK / kind, s.name, s.text, [*flags, *REFUSED]):
                    raise SystemExit(f"mutants: {s.name} does not compile")
        found = reached(sources, tests)
        reach.write_text(json.dumps({"key": key, "reach": found}))
    return json.loads(reach.read_text())["reach"]


def interval(killed, counted):
    """Wilson's 95 % interval of a proportion, in per cent."""
    z, share = 1.96, killed / counted
    middle, half = share + z * z / (2 * counted), z * math.sqrt(share * (1 - share) / counted + z * z / (4 * counted * counted))
    return [100 * (middle + sign * half) / (1 + z * z / counted) for sign in (-1, 1)]


def summary(chosen, results, sources, known, problems):
    """The table, the survivors, and whether all is well."""
    text = {s.name: s.text.splitlines() for s in sources}
    rows, survivors = {}, []
    for name in chosen:
        file, line, _, kind = name.split(":", 4)[:4]
        status = results[name]["status"]
        if name in known and status == "killed":
            problems.append(f"{name} is called equivalent, but {results[name]['by']} kills it")
        if status == "survived":
            status = "equivalent" if name in known else status
            survivors.append(f"{status}: {name} ({results[name]['by']})\n    {text[file][int(line) - 1].strip()}")
        for row in (file, kind, "all"):
            rows.setdefault(row, {}).setdefault(status, 0)
            rows[row][status] += 1
    columns = ["killed", "survived", "equivalent", "same", "stillborn"]
    print("\n".join(survivors))
    print(f"{'':16}" + "".join(f"{c:>12}" for c in columns) + f"{'score':>10}")
    for row in sorted(rows, key=lambda r: (r == "all", not r.endswith(".c"), r)):
        count = [rows[row].get(c, 0) for c in columns]
        score = f"{100 * count[0] / (count[0] + count[1]):8.1f} %" if count[0] + count[1] else f"{'-':>10}"
        print(f"{row:16}" + "".join(f"{c:12}" for c in count) + score)
    killed, counted = rows["all"].get("killed", 0), rows["all"].get("killed", 0) + rows["all"].get("survived", 0)
    if counted:
        print("mutants: {} of {} killed, {:.1f} %, 95 % interval {:.1f} .. {:.1f} %".format(killed, counted, 100 * killed / counted,
                                                                                           *interval(killed, counted)))
    for problem in problems:
        print(f"mutants: {problem}", file=sys.stderr)
    return not problems and not rows.get("all", {}).get("survived")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sample", type=int, default=0, help="so many, drawn by the seed; 0: all")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--file", help="of this file of ref/ alone")
    options.add_argument("tests", nargs="*")
    asked = options.parse_args()
    sources = [Source(path) for path in sorted(REF.glob("*.c"))]
    home = {i: s for s in sources for i in s.found}
    chosen = [i for i in home if asked.file in (None, home[i].name)]
    every = len(chosen)
    if asked.sample:
        random.Random(asked.seed).shuffle(chosen)  # so a larger sample of the same seed holds the smaller one
        del chosen[asked.sample:]
    known, problems = equivalents(sources)
    programs = [str((pathlib.Path(t).parent / ".libs" / pathlib.Path(t).name).resolve()) for t in asked.tests]
    for p in programs:
        if not os.access(p, os.X_OK):
            raise SystemExit(f"mutants: {p} is not there; the tests must be linked with the shared library")
    reach = prepare(sources, programs)
    controls(sources, reach)
    log = WORK / "results.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    results = {r["id"]: r for r in map(json.loads, lines)}
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", os.cpu_count()))) as pool, log.open("a") as out:
        waiting = {pool.submit(judge, home[i].found[i], home[i], reach): i for i in chosen if i not in results}
        for done in concurrent.futures.as_completed(waiting):
            results[waiting[done]] = {"id": waiting[done], **done.result()}
            out.write(json.dumps(results[waiting[done]]) + "\n")
            out.flush()
            if sys.stderr.isatty():
                print(f"\rmutants: {len(results)} done", end="", file=sys.stderr)
    print(f"mutants: {len(chosen)} of {every}" + (f", drawn by seed {asked.seed}" if asked.sample else ""))
    return 0 if summary(chosen, results, sources, known, problems) else 1


if __name__ == "__main__":
    sys.exit(main())
