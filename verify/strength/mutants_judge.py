#!/usr/bin/env python3
"""Do the tests notice mistakes in what judges?  mutants.py asks it of ref/, this asks it of the verdict engine and of the twin.

    make mutants-judge SAMPLE=40 SEED=1      (or: mutants_judge.py [--of engine|twin] [--sample N] [--seed S], in the build folder)

mutate.py says which mistakes; SAMPLE of them are drawn for the engine, and as many for the twin.  A mutant is compiled as the build
compiles its source, and linked before the library, so that it takes the place of the original.  Not counted are those that do not
compile, and those whose object file is the original's, byte by byte.  Each of the others meets

    engine    tests/check_verdict case by case, and the scripts that use the command: roundoff_test.sh, refusals_test.sh, diff_test.sh
    twin      tests/check_enclosure case by case, and verify/strength/certify, which compares ref/ with the twin: the operations of the
              mutant's chapter one by one, and one operation of each chapter for what all chapters share

the cheapest first.  A failure kills it, and so do a crash and running out of time.  verify/enclosure/variants.c is left out: `make mutants-known` is its test.

Survivors are either a missing test or in mutants_judge.equivalent with a reason.  Exit status 1 if one is neither, if an entry
there matches no mutant, if a mutant named there is killed, or if a control fails.  Results are kept in mutants-judge/ and taken up
again while sources and tests are the same; JOBS says how many run side by side.  ./bootstrap verify does not run this.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import random
import re
import shlex
import subprocess
import sys
import tempfile
import time

from mutants import REFUSED, equivalents, run, summary
from mutate import Source

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
WORK = pathlib.Path("mutants-judge").resolve()
ENGINE = [TOP / "verify/oracle" / name for name in ("verdict.c", "diagnose.c", "diagnose_pairs.c", "report.c", "roundoff.c")]
TWIN = [p for p in sorted((TOP / "verify/enclosure").glob("*.c")) if p.name != "variants.c"]
PROGRAMS = {"engine": ("tests/check_verdict", "smoeref"), "twin": ("tests/check_enclosure", "verify/strength/certify")}
SOURCES = {"engine": ENGINE, "twin": TWIN}
SCRIPTS = ("roundoff_test.sh", "refusals_test.sh", "diff_test.sh")
CHAPTERS = ("gate.weights", "layer.smoe", "balance.switch", "compete.route", "similarity.cka", "simsmoe.pairs", "convergence.loglik")
QUICK = 10  # seconds of processor time: an operation whose certification takes longer is left out
CONTROLS = {"engine": ("verdict.c", "verdict_bound", "const double d = fabs((hi - golden) + lo);", "operator:-->+"),
            "twin": ("tape.c", "round_to", "tape_grow(v, fmax(unit(f) * m, f->underflow));", "operator:*->/")}


def said_by_make(target, source, mode):
    """The words of the libtool call of that mode that makes the target once the source is new."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    said = subprocess.run(["make", "-n", "V=1", "-W", source, target], env=environment, capture_output=True, text=True, check=True).stdout
    calls = re.findall(rf"--mode={mode} ((?:[^\n]|\\\n)*)", said)
    return next(c.replace("\\\n", " ") for c in reversed(calls) if re.search(rf"(^|\s)-o {re.escape(target)}\s", c + " "))


def compiling(source):
    """The command without its file: as the build compiles the source for the library, but without debugging information."""
    there = source.relative_to(TOP)
    call = said_by_make(f"{there.parent}/libverify_la-{there.stem}.lo", str(there), "compile")
    words = [w for w in shlex.split(call.split(" -MT ")[0]) if w != "-Werror"]  # as in mutants.py: an unused variable is no refusal
    return words + ["-fPIC", "-DPIC", "-g0", f"-I{there.parent}", *REFUSED]


def linking(program):
    """The command that links a program, without -o FILE."""
    source = {"smoeref": "verify/oracle/main.c"}.get(program, program + ".c")
    call = shlex.split(said_by_make(program, source, "link"))
    said = subprocess.run(["./libtool", "--dry-run", "--tag=CC", "--mode=link", *call], capture_output=True, text=True, check=True).stdout
    command = shlex.split(next(line for line in said.splitlines() if line.startswith("libtool: link: ") and " -o " in line)[15:])
    at = command.index("-o")
    return command[:at] + command[at + 2:]


def place(name):
    """That folder, with the library of ref/ in it."""
    folder = pathlib.Path(name)
    (folder / "libsmoeref.so.0").symlink_to(pathlib.Path(".libs/libsmoeref.so.0").resolve())
    return folder


def compiled(folder, command, name, text):
    (folder / name).write_text(text)
    made = folder / (name[:-2] + ".o")
    done = subprocess.run([*command, "-c", str(folder / name), "-o", str(made)], capture_output=True, text=True)
    return made if done.returncode == 0 else None


def program(folder, plan, name, made):
    """The program with that object in the place of the library's."""
    out = folder / pathlib.Path(name).name
    if not out.exists():
        command = plan["link"][name]
        first = next(i for i, word in enumerate(command) if word.endswith(".o"))
        subprocess.run([*command[:first], str(made), *command[first:], "-o", str(out)], check=True)
    return out


def parts(of):
    """The first program's tests, a case of them at a time: most mutants need not meet the long ones."""
    return [f"{PROGRAMS[of][0]} {case}" for case in re.findall(r'tcase_create\("(\w+)"\)', (TOP / f"{PROGRAMS[of][0]}.c").read_text())]


def attempt(folder, plan, of, test, made, seconds):
    """What run() says of one test: a case of a program, a script of the command, or an operation's certification."""
    first, second = PROGRAMS[of]
    if test in parts(of):
        return run(str(program(folder, plan, first, made)), folder, seconds, TMPDIR=str(folder), CK_RUN_CASE=test.split()[1])
    file = folder / "test"
    file.write_text(f"#!/bin/sh\nexec sh '{TOP}/tests/{test}'\n" if of == "engine" else f"#!/bin/sh\nexec ./certify {test}\n")
    file.chmod(0o755)
    return run(str(file), folder, seconds, TMPDIR=str(folder), SMOEREF=str(program(folder, plan, second, made)))


def chapter(source):
    """The operations whose twins are in that file; one of each chapter where there are none."""
    if source.name == "twin_distance.c":
        return ["convergence.distance"]
    return list(dict.fromkeys(re.findall(r'\{"([a-z_.0-9]+)",\s+\w+\}', source.text))) or list(CHAPTERS)


def tests_of(of, source, seconds):
    """The tests that a mutant of that source meets, in their order."""
    others = SCRIPTS if of == "engine" else [o for o in chapter(source) if seconds[o] <= QUICK]
    return sorted([*parts(of), *others], key=seconds.get)


def judge(mutant, source, of, plan):
    """{"status": killed | survived | stillborn | same, "by": ..., "seconds": ...} of one mutant."""
    start, end, new = mutant[:3]
    began = time.time()
    with tempfile.TemporaryDirectory(dir=plan["folder"]) as name:
        folder = place(name)
        plain = compiled(folder, plan["compile"][source.name], source.name, source.text).read_bytes()
        made = compiled(folder, plan["compile"][source.name], source.name, source.text[:start] + new + source.text[end:])
        if made is None:
            return {"status": "stillborn"}
        if made.read_bytes() == plain:
            return {"status": "same"}
        tests = tests_of(of, source, plan["seconds"])
        for test in tests:
            why = attempt(folder, plan, of, test, made, plan["seconds"][test])
            if why:
                return {"status": "killed", "by": test, "why": why, "seconds": round(time.time() - began, 1)}
    return {"status": "survived", "by": ", ".join(tests), "seconds": round(time.time() - began, 1)}


def prepare(of):
    """The commands, and how long each test takes without a mistake: from the last run if nothing has changed."""
    digest = hashlib.sha256()
    tests = [f"{p}.c" for p in PROGRAMS[of] if p != "smoeref"] + [f"tests/{s}" for s in SCRIPTS if of == "engine"]
    for path in [*SOURCES[of], *(TOP / t for t in tests), *map(pathlib.Path, (".libs/libsmoeref.so.0", ".libs/libverify.a"))]:
        digest.update(path.read_bytes())
    kept = WORK / of / "plan.json"
    plan = json.loads(kept.read_text()) if kept.exists() else {}
    if plan.get("key") != digest.hexdigest():
        subprocess.run(["rm", "-rf", str(kept.parent)], check=True)
        kept.parent.mkdir(parents=True)
        plan = {"key": digest.hexdigest(), "folder": str(kept.parent), "seconds": {}, "compile": {p.name: compiling(p) for p in SOURCES[of]},
                "link": {p: linking(p) for p in PROGRAMS[of]}}
    return plan, kept


def used():
    """Seconds of processor time of all that has been run."""
    now = os.times()
    return now.children_user + now.children_system


def control(of, sources, plan):
    """A mutant that must die dies; programs linked in the same way without a mistake pass."""
    file, function, line, kind = CONTROLS[of]
    source = next(s for s in sources if s.name == file)
    named = [i for i, m in source.found.items() if m[4] == function and i.endswith(kind) and line in source.text.splitlines()[m[3] - 1]]
    if len(named) != 1:
        raise SystemExit(f"mutants-judge: the control '{line}' of {function} is gone; choose another")
    with tempfile.TemporaryDirectory(dir=plan["folder"]) as name:
        folder = place(name)
        made = compiled(folder, plan["compile"][file], file, source.text)
        every = SCRIPTS if of == "engine" else dict.fromkeys(o for s in sources for o in chapter(s))
        for test in [*parts(of), *every]:
            program(folder, plan, PROGRAMS[of][test not in parts(of)], made)
            began = used()
            why = attempt(folder, plan, of, test, made, 1000)
            if why:
                raise SystemExit(f"mutants-judge: {test} fails without a mistake: {why}")
            plan["seconds"][test] = round(used() - began, 2)
    told = judge(source.found[named[0]], source, of, plan)
    if told["status"] != "killed":
        raise SystemExit(f"mutants-judge: the control {named[0]} is not killed")
    print(f"mutants-judge: controls: {named[0]} is killed by {told['by']}; without a mistake every test passes")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--of", choices=PROGRAMS, help="of these sources alone")
    options.add_argument("--sample", type=int, default=0, help="so many, drawn by the seed; 0: all")
    options.add_argument("--seed", type=int, default=1)
    asked = options.parse_args()
    sources = {of: list(map(Source, paths)) for of, paths in SOURCES.items()}
    known, problems = equivalents([s for both in sources.values() for s in both], "mutants_judge.equivalent")
    good = True
    for of in [asked.of] if asked.of else PROGRAMS:
        plan, kept = prepare(of)
        if not kept.exists():
            control(of, sources[of], plan)
            kept.write_text(json.dumps(plan))
        home = {i: s for s in sources[of] for i in s.found}
        chosen = list(home)
        if asked.sample:
            random.Random(asked.seed).shuffle(chosen)  # so a larger sample of the same seed holds the smaller one
            del chosen[asked.sample:]
        log = kept.with_name("results.jsonl")
        results = {r["id"]: r for r in map(json.loads, log.read_text().splitlines() if log.exists() else [])}
        with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", os.cpu_count()))) as pool, log.open("a") as out:
            waiting = {pool.submit(judge, home[i].found[i], home[i], of, plan): i for i in chosen if i not in results}
            for done in concurrent.futures.as_completed(waiting):
                results[waiting[done]] = {"id": waiting[done], **done.result()}
                out.write(json.dumps(results[waiting[done]]) + "\n")
                out.flush()
        print(f"mutants-judge: {of}: {len(chosen)} of {len(home)}" + (f", drawn by seed {asked.seed}" if asked.sample else ""))
        good = summary(chosen, results, sources[of], known, problems) and good
        problems = []  # they are told
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
