#!/usr/bin/env python3
"""How many of a hundred random one-line faults in ref/ do the tests of `make check` notice?

    make faults COUNT=100 FAULTS_SEED=20261129     (or: faults.py [--count N] [--seed S] [--scripts] TEST ..., in the build folder)

A line of code and a way to spoil it are drawn, until COUNT faults compile to another object file.  This shares nothing with
mutate.py: it works on lines, by what people do wrong when they write or edit one.  Each fault meets the unit tests, those of its
chapter first; the first failure, crash or hang is the end of it.  Those that remain meet the tests of tests/memory_test.sh with
AddressSanitizer in the library, as that script runs them, and with --scripts the script tests named there.
--quick leaves most of the unit tests for a later run, which takes up what it left.
Printed: each survivor with its line before and after, and the figure.  Results are kept in faults/SEED.jsonl and taken up again.
"""
import argparse
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
BUILD = pathlib.Path.cwd()
WORK = BUILD / "faults"
FLAGS = ["gcc", "-std=c11", "-ffp-contract=off", "-fPIC", "-O1", "-w", "-DHAVE_CONFIG_H", f"-I{BUILD}", f"-I{TOP / 'ref'}"]
ADDRESS = "-fsanitize=address"
WORD = r"[A-Za-z_][A-Za-z_0-9]*"
CHAPTER = {"compete": ["compete", "compete_step"], "gate": ["gate", "gate_noisy", "gate_cosine"], "layer": ["layer", "capacity", "diagnostics"],
           "balance": ["balance", "balance_aux"]}


def code_lines(text):
    """Numbers of the lines that are code of a function's body: no comment, annotation, preprocessor line or declaration of a function."""
    blank = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)
    blank = re.sub(r"//[^\n]*", "", blank)
    blank = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: "\n" * m.group().count("\n"), blank, flags=re.M)
    depth, found = 0, []
    for number, line in enumerate(blank.split("\n")):
        if depth > 0 and re.search(r"\w", line):
            found.append(number)
        depth += line.count("{") - line.count("}")
    return found, blank.split("\n")


def spots(pattern, line):
    return list(re.finditer(pattern, line))


def put(line, match, new):
    return line[:match.start()] + new + line[match.end():]


def exchange(pairs):
    """A fault that writes one word or sign for another."""
    def spoil(line, near, draw):
        found = [(m, new) for old, new in pairs for m in spots(old, line)]
        return put(line, *draw.choice(found)) if found else None
    return spoil


def drop_statement(line, near, draw):
    body = line.strip()
    if not body.endswith(";") or re.match(rf"(const |static |{WORD} \*?{WORD}( =|,|;)|return|for|double|size_t|smoe_\w+ \w)", body):
        return None
    return line[:len(line) - len(line.lstrip())] + ";"


def drop_return(line, near, draw):
    match = re.match(r"(\s*if \(.*\)) (return [^;]*;|continue;|break;)$", line)
    return match.group(1) + " {}" if match else None


def drop_term(line, near, draw):
    found = spots(rf" [-+] {WORD}(\[[^\[\]]*\])?(?=[;,)\] ])", line)
    return put(line, draw.choice(found), "") if found else None


def drop_factor(line, near, draw):
    found = spots(rf" [*/] (\(double\))?{WORD}(\[[^\[\]]*\])?(?=[;,)\] ])", line) + spots(rf"(?<=[ (\[]){WORD} \* (?=\w)", line)
    return put(line, draw.choice(found), "") if found else None


def drop_call(line, near, draw):
    found = spots(r"\b(sqrt|fabs|smoe_log|smoe_exp|smoe_sigmoid)\(([^()]*)\)", line)
    return put(line, m, "(" + m.group(2) + ")") if found and (m := draw.choice(found)) else None


def off_by_one(line, near, draw):
    found = spots(r"\[([^\[\]]+)\]", line)
    return put(line, m, f"[{m.group(1)} {draw.choice('+-')} 1]") if found and (m := draw.choice(found)) else None


def transpose(line, near, draw):
    found = spots(rf"\b({WORD}) \* ({WORD}) \+ ({WORD})\b", line)
    return put(line, m, f"{m.group(3)} * {m.group(2)} + {m.group(1)}") if found and (m := draw.choice(found)) else None


def constant(line, near, draw):
    found = spots(r"(?<![\w.])\d+(\.\d+)?(?![\w.])", line)
    if not found:
        return None
    match = draw.choice(found)
    return put(line, match, draw.choice(["0.25", "2.0"]) if "." in match.group() else str(int(match.group()) + draw.choice([1, 2])))


def negate(line, near, draw):
    match = re.match(r"(\s*(?:\} else )?(?:if|while) \()(.*)(\)( return .*| continue;| break;| \{)?)$", line)
    return f"{match.group(1)}!({match.group(2)}){match.group(3)}" if match and match.group(2).count("(") == match.group(2).count(")") else None


def wrong_sign(line, near, draw):
    found = spots(r"(?<== )(?=[\w(])|(?<=return )(?=[\w(])|(?<=\+= )(?=[\w(])", line)
    if not found or "status" in line or "SMOE_" in line:
        return None
    return put(line, draw.choice(found), "-")


def other_name(line, near, draw):
    """Another name from the lines around, of as many letters or the same first one: what a slip of copying gives."""
    names = sorted(set(re.findall(rf"\b{WORD}\b", near)))
    found = [(m, n) for m in spots(rf"(?<![.>\w]){WORD}\b(?! ?\()", line) for n in names
             if n != m.group() and (len(n) == len(m.group()) or n[0] == m.group()[0]) and len(n) < 9]
    return put(line, *draw.choice(found)) if found else None


def swap_arguments(line, near, draw):
    found = spots(rf"\b{WORD}\(([^()]*, [^()]*)\)", line)
    if not found:
        return None
    match = draw.choice(found)
    parts = match.group(1).split(", ")
    at = draw.randrange(len(parts) - 1)
    parts[at], parts[at + 1] = parts[at + 1], parts[at]
    return line[:match.start(1)] + ", ".join(parts) + line[match.end(1):]


WAYS = {
    "comparison": exchange([(r" < ", " <= "), (r" <= ", " < "), (r" > ", " >= "), (r" >= ", " > "), (r" == ", " != "), (r" != ", " == ")]),
    "comparison the other way": exchange([(r" < ", " > "), (r" > ", " < "), (r" <= ", " >= "), (r" >= ", " <= ")]),
    "and, or": exchange([(r" && ", " || "), (r" \|\| ", " && ")]),
    "sign of a term": exchange([(r" \+ ", " - "), (r" - ", " + "), (r" \+= ", " -= "), (r" -= ", " += ")]),
    "times, by": exchange([(r" \* ", " / "), (r" / ", " * ")]),
    "loop starts at 1": exchange([(r"(?<=size_t [a-z] = )0(?=;)", "1")]),
    "loop ends early": exchange([(r"(?<= < )(\w+)(?=; \w+\+\+)", "1")]),
    "function": exchange([(r"\bfmax\(", "fmin("), (r"\bfmin\(", "fmax("), (r"\bsmoe_exp\(", "smoe_expm1("), (r"\bsmoe_log\(", "smoe_log1p("),
                          (r"_vjp\(", "("), (r"\bsmoe_matmul_nn\(", "smoe_matmul_nt("), (r"\bsmoe_matmul_tn\(", "smoe_matmul_nn(")]),
    "status": exchange([(r"\bSMOE_EDOM\b", "SMOE_OK"), (r"\bSMOE_EINVAL\b", "SMOE_OK"), (r"\bSMOE_EOVRFLW\b", "SMOE_OK")]),
    "accumulation": exchange([(r" \+= ", " = "), (r"(?<=\w|\]) = (?=fma)", " += ")]),
    "dropped statement": drop_statement, "dropped return": drop_return, "dropped term": drop_term, "dropped factor": drop_factor,
    "dropped function": drop_call, "index off by one": off_by_one, "transposed index": transpose, "constant": constant,
    "condition": negate, "sign of a result": wrong_sign, "other name": other_name, "swapped arguments": swap_arguments,
}


def draw_fault(draw, sources):
    """(file, line number, way, the line spoilt)."""
    while True:
        name = draw.choices(list(sources), [len(s[0]) for s in sources.values()])[0]
        numbers, lines = sources[name]
        number, way = draw.choice(numbers), draw.choice(list(WAYS))
        line = lines[number].rstrip()
        new = WAYS[way](line, "\n".join(lines[max(0, number - 6):number + 7]), draw)
        if new is not None and new != line:
            return name, number, way, new


def compiled(name, text, *flags):
    """Bytes of the object file, or None."""
    folder = WORK / "object"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    made = folder / (name[:-2] + ".o")
    done = subprocess.run([*FLAGS, *flags, "-c", name], cwd=folder, stderr=subprocess.DEVNULL)
    return made.read_bytes() if done.returncode == 0 else None


def link(name, made, kind, *flags):
    """The library with this object in the place of the right one of that kind."""
    folder = WORK / f"library-{kind}"
    folder.mkdir(exist_ok=True)
    (WORK / "spoilt.o").write_bytes(made)
    objects = [str(o) for o in sorted((WORK / kind).glob("*.o")) if o.stem != name[:-2]]
    subprocess.run(["gcc", "-shared", *flags, "-Wl,-soname,libsmoeref.so.0", "-o", str(folder / "libsmoeref.so.0"), *objects, str(WORK / "spoilt.o"),
                    "-lmpfr", "-lm"], check=True)
    return folder


def fails(command, folder, seconds, address=False):
    environment = dict(os.environ, LD_LIBRARY_PATH=str(folder), top_srcdir=str(TOP), top_builddir=str(BUILD), CK_VERBOSITY="silent",
                       CK_TIMEOUT_MULTIPLIER="10")
    if address:
        runtime = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout.strip()
        environment.update(LD_PRELOAD=runtime, ASAN_OPTIONS="detect_leaks=0")
    memory = "" if address else "ulimit -v 8000000;"  # AddressSanitizer reserves more than that
    limits = f"ulimit -c 0; {memory} ulimit -t {seconds}; exec \"$@\""  # dash takes one limit at a time
    child = subprocess.Popen(["sh", "-c", limits, "sh", *command], cwd=WORK, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        return child.wait(20 * seconds) != 0
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, 9)
        child.wait()
        return True


def in_order(tests, name, quick):
    """The chapter's own tests, then the quick ones that go through all chapters, then the others."""
    stem = name[:-2]
    own = [f"check_{c}" for c in CHAPTER.get(stem, [stem])] + ["check_refusals", "check_registry"]
    slow = ["check_numerics", "check_similarity", "check_convergence", "check_rates", "check_enclosure"]
    if quick:
        return sorted((t for t in tests if t.name in own[:-1]), key=lambda t: own.index(t.name))
    return sorted(tests, key=lambda t: own.index(t.name) if t.name in own else 50 + slow.index(t.name) if t.name in slow else 20)


def memory_tests(tests):
    """Those that tests/memory_test.sh runs with AddressSanitizer."""
    names = re.search(r"^tests='(.*)'$", (TOP / "tests" / "memory_test.sh").read_text(), re.M).group(1).split()
    return [t for t in tests if t.name.removeprefix("check_") in names]


def script_fails(script, folder):
    """A script test with this library in the place of the built one, put back afterwards."""
    real = (BUILD / ".libs" / "libsmoeref.so.0").resolve()
    kept = real.read_bytes()
    environment = dict(os.environ, SMOEREF=str(BUILD / "smoeref"), PYTHON=os.environ.get("PYTHON", "python3"), top_srcdir=str(TOP), top_builddir=str(BUILD),
                       CC="gcc", MAKE="make", PKG_CONFIG="pkg-config", CLANG="clang")
    try:
        real.write_bytes((folder / "libsmoeref.so.0").read_bytes())
        done = subprocess.run(["sh", str(script)], env=environment, cwd=BUILD, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", timeout=3600)
        return done.returncode != 0 or any(line.startswith("not ok") for line in done.stdout.splitlines())
    finally:
        real.write_bytes(kept)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--count", type=int, default=100)
    options.add_argument("--seed", type=int, default=20261129)
    options.add_argument("--list", action="store_true", help="print the faults alone")
    options.add_argument("--quick", action="store_true", help="the unit tests of the chapter and check_refusals alone, without AddressSanitizer")
    options.add_argument("--scripts", nargs="*", default=[], help="script tests for what the unit tests leave")
    options.add_argument("--tests", nargs="*", default=[])
    asked = options.parse_args()
    tests = [p for t in asked.tests for p in [(pathlib.Path(t).parent / ".libs" / pathlib.Path(t).name).resolve()]]
    draw = random.Random(asked.seed)
    texts = {p.name: p.read_text() for p in sorted((TOP / "ref").glob("*.c"))}
    sources = {name: code_lines(text) for name, text in texts.items()}
    right = {}
    for kind, flags in ("right", []), ("address", [ADDRESS]):
        shutil.rmtree(WORK / kind, ignore_errors=True)
        (WORK / kind).mkdir(parents=True)
        for name, text in texts.items():
            right[kind, name] = compiled(name, text, *flags)
            (WORK / kind / (name[:-2] + ".o")).write_bytes(right[kind, name])
    if asked.tests and not asked.quick:
        for kind, flags, some in ("right", [], tests), ("address", [ADDRESS], memory_tests(tests)):
            folder = link("numerics.c", right[kind, "numerics.c"], kind, *flags)
            for test in some:
                if fails([str(test)], folder, 900, bool(flags)):
                    raise SystemExit(f"faults: {test.name} fails without a fault {' '.join(flags)}")
    log = WORK / f"{asked.seed}.jsonl"
    known = {r["fault"]: r for r in map(json.loads, log.read_text().splitlines())} if log.exists() else {}
    met, tried, skipped = [], set(), 0
    while len(met) < asked.count:
        name, number, way, new = draw_fault(draw, sources)
        fault = f"{name}:{number + 1}: {way}: {sources[name][1][number].strip()}  ->  {new.strip()}"
        if fault in tried:
            continue
        tried.add(fault)
        old = known.get(fault, {"by": None, "tried": []})
        tries = {t.name: (t, "right") for t in in_order(tests, name, asked.quick)}
        tries |= {f"{t.name} with AddressSanitizer": (t, "address") for t in in_order(memory_tests(tests), name, False) if not asked.quick}
        left = [t for t in tries if t not in old["tried"]]
        if old["by"] is None and (left or asked.scripts or asked.list):
            lines = texts[name].split("\n")
            lines[number] = new
            made = compiled(name, "\n".join(lines))
            if made is None or made == right["right", name]:
                skipped += 1
                continue
            if asked.list:
                print(fault)
            killer = None
            if asked.tests:
                folder = link(name, made, "right")
                killer = next((t for t in left if tries[t][1] == "right" and fails([str(tries[t][0])], folder, 300)), None)
                if killer is None and any(tries[t][1] == "address" for t in left):
                    other = link(name, compiled(name, "\n".join(lines), ADDRESS), "address", ADDRESS)
                    killer = next((t for t in left if tries[t][1] == "address" and fails([str(tries[t][0])], other, 300, True)), None)
            if killer is None and asked.scripts:
                killer = next((pathlib.Path(s).name for s in asked.scripts if script_fails(s, folder)), None)
            known[fault] = {"fault": fault, "by": killer, "tried": old["tried"] + left}
            if asked.tests:
                with log.open("a") as out:
                    out.write(json.dumps(known[fault]) + "\n")
        met.append(known[fault])
        if sys.stderr.isatty():
            print(f"\rfaults: {len(met)} done", end="", file=sys.stderr)
    if asked.list:
        return 0
    noticed = sum(m["by"] is not None for m in met)
    for m in met:
        if m["by"] is None:
            print("not noticed:", m["fault"])
    print(f"faults: {noticed} of {len(met)} noticed, drawn by seed {asked.seed}; {skipped} more did not compile or changed nothing")
    return 0


if __name__ == "__main__":
    sys.exit(main())
