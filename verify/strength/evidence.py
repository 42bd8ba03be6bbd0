#!/usr/bin/env python3
"""The equation-coverage report: which evidence each equation of spec/ has, from tags in the sources.

    make evidence            (or: evidence.py ROOT SMOEREF [PAGE.html])

A row is an equation (a heading `### (B.4) ...` of spec/NN-*.md), a column a kind of evidence:

    spec        the section has a formula, its source and a worked example
    hand        a test with a hand-computed value       /* evidence hand: B.4 */        above its START_TEST
    gradient    a gradient check                        /* evidence gradient: B.4 */
    properties  a property test                         /* evidence properties: B.4 */
    twin        an operation whose enclosures `make certify` checks
    autograd    that operation in the PyTorch client
    fuzz        that operation in fuzz/fuzz_ops.c (it draws from the whole registry)
    contract    a function of the equation named in verify/proofs/wp/goals.txt, so proved by `make proofs`
    variants    known wrong variants of its operations (`make mutants-known` shows which are detected)
    theorem     theorems that the section names in lines `Proved: verify/proofs/coq/...` (`make coq` proves them and the names)
    rounding    files that the section names in lines `Certified: verify/proofs/gappa/...` (`make gappa` proves their bounds)
    mutants     not by equation: `make mutants` samples them over all of ref/

A cell is a count, `e` where the spec explains in one line (`No gradient check: ...`) why it is empty, or HOLE.  A hole, or
a tag that names no equation or belongs to a test that nobody runs, makes the exit status 1.
"""
import html
import json
import pathlib
import re
import subprocess
import sys

COLUMNS = ["spec", "hand", "gradient", "properties", "twin", "autograd", "fuzz", "contract", "theorem", "rounding", "variants"]
EXPLAINED = {
    "hand-computed value": "hand", "gradient check": "gradient", "properties": "properties", "twin": "twin",
    "autograd": "autograd", "fuzz target": "fuzz", "contract": "contract", "coq theorem": "theorem", "rounding": "rounding", "mutants": "mutants",
    "variants": "variants",
}


def equations(root):
    """{number: (title, body)} in the order of the chapters."""
    found = {}
    for chapter in sorted((root / "spec").glob("[0-9][0-9]-*.md")):
        text = chapter.read_text()
        parts = re.split(r"^### \(([A-Z]\.\d+)\) *(.*)$", text, flags=re.M)
        for number, title, body in zip(parts[1::3], parts[2::3], parts[3::3]):
            if number in found:
                raise SystemExit(f"evidence: {chapter.name}: equation {number} twice")
            found[number] = (title.strip(), re.split(r"^##? ", body, flags=re.M)[0])
    return found


def tags(root, problems):
    """{(column, number): count} from the tests; a tag counts only above a test that its program runs."""
    found = {}
    for source in sorted((root / "tests").glob("check_*.c")):
        text = source.read_text()
        run = set(re.findall(r"tcase_add_(?:loop_)?(?:test|exit_test)\w*\(\s*\w+\s*,\s*(\w+)", text))
        pending = []
        comment = False
        for line in text.splitlines():
            for column, numbers in re.findall(r"evidence (hand|gradient|properties): *([A-Z0-9. ]+)", line):
                pending += [(column, number) for number in numbers.split()]
            test = re.match(r"START_TEST\((\w+)\)", line)
            if test:
                if test.group(1) in run:
                    for key in pending:
                        found[key] = found.get(key, 0) + 1
                elif pending:
                    problems.append(f"{source.name}: {test.group(1)} carries evidence but is never run")
                pending = []
            elif pending:
                stripped = line.strip()
                inside = comment or stripped.startswith("/*") or stripped.startswith("*")  # an empty line ends it: its test is gone
                if not inside:
                    problems.append(f"{source.name}: evidence for {pending[0][1]} is not above a START_TEST")
                    pending = []
            if "/*" in line:
                comment = True
            if "*/" in line:
                comment = False
    return found


def functions_of(root):
    """{number: [function, ...]}: in a header, the functions declared below the comment that opens with the number, or on a
    line whose closing comment does."""
    found = {}
    for header in sorted((root / "ref").glob("*.h")):
        current = []
        for line in header.read_text().splitlines():
            if re.match(r"/\*(?!@)", line):
                current = []
            if re.match(r"(/\*| \*) ", line):
                current += [n for n in re.findall(r"\(([A-Z]\.\d+)\)", line) if n not in current]
            for name in re.findall(r"^(?:/\*@.*?\*/ *)?(?!typedef)[a-z].*?\b(smoe_\w+)\(", line):
                for number in re.findall(r"/\* \(([A-Z]\.\d+)\)", line) or current:
                    found.setdefault(number, []).append(name)
    return found


def proved(root):
    goals = root / "verify/proofs/wp/goals.txt"
    names = set()
    for line in goals.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            names.update(line.split()[2:])
    return names


def page(rows, summary, problems):
    """The table as one HTML page that needs nothing else."""
    meaning = {}
    for name, text in re.findall(r"^    (\w+) {2,}(\S.*(?:\n {10,}\S.*)*)", __doc__, flags=re.M):
        meaning[name] = " ".join(text.split())
    kind = {"HOLE": "hole", "e": "explained", "rule": "explained", "0": "none"}
    body = []
    chapter = ""
    for number, title, row in rows:
        if number.split(".")[0] != chapter:
            chapter = number.split(".")[0]
            body.append(f'<tr class="chapter"><th colspan="{len(COLUMNS) + 1}">Chapter {html.escape(chapter)}</th></tr>')
        cells = "".join(f'<td class="{kind.get(cell, "filled")}">{cell}</td>' for cell in row)
        body.append(f'<tr><th scope="row">({html.escape(number)}) {html.escape(title)}</th>{cells}</tr>')
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>smoeref: evidence by equation</title>
<style>
:root {{ color-scheme: light dark; --line: #8884; --good: #2a7d3f26; --bad: #c4282840; }}
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 1.5rem auto; max-width: 78rem; padding: 0 1rem; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; }}
th, td {{ padding: .15rem .5rem; border-bottom: 1px solid var(--line); text-align: center; }}
tbody th {{ text-align: left; font-weight: normal; }}
.chapter th {{ font-weight: bold; padding-top: .8rem; }}
thead th {{ position: sticky; top: 0; background: Canvas; }}
.filled {{ background: var(--good); }} .hole {{ background: var(--bad); font-weight: bold; }} .none {{ opacity: .5; }}
dt {{ font-weight: bold; }}
</style>
<h1>Evidence by equation</h1>
<p>{html.escape(summary)}. A number counts tests, operations, functions or theorems; <i>e</i>: the section says in a line why there is none;
<i>rule</i>: a rule of arithmetic, which owes less; 0: not owed by every equation.</p>
{"".join(f"<p class='hole'>{html.escape(problem)}</p>" for problem in problems)}
<div class="wide"><table>
<thead><tr><th>equation</th>{"".join(f'<th title="{html.escape(meaning.get(c, ""))}">{c}</th>' for c in COLUMNS)}</tr></thead>
<tbody>
{chr(10).join(body)}
</tbody>
</table></div>
<h2>The columns</h2>
<dl>{"".join(f"<dt>{c}</dt><dd>{html.escape(meaning.get(c, ''))}</dd>" for c in COLUMNS)}</dl>
</html>
"""


def main():
    root, smoeref = pathlib.Path(sys.argv[1]), sys.argv[2]
    problems = []
    table = equations(root)
    tagged = tags(root, problems)
    functions = functions_of(root)
    contracts = proved(root)
    listing = json.loads(subprocess.run([smoeref, "list", "--json"], check=True, capture_output=True, text=True).stdout)
    operations = listing["operations"] if isinstance(listing, dict) else listing
    client = "".join(p.read_text() for p in sorted((root / "verify/clients/torch").glob("*.py")))
    fuzzed = (root / "fuzz/fuzz_ops.c").exists()

    for column, number in tagged:
        if number not in table:
            problems.append(f"a test claims evidence for ({number}), which no chapter of spec/ defines")
    for operation in operations:
        for number in operation["equations"]:
            if number not in table:
                problems.append(f"operation {operation['id']} names ({number}), which no chapter of spec/ defines")

    width = max(len(title) for title, _ in table.values()) + 8
    print(f"{'equation':{width}} " + " ".join(f"{c:>10}" for c in COLUMNS))
    holes = explained_cells = filled = 0
    rows = []
    for number, (title, body) in table.items():
        mine = [o for o in operations if number in o["equations"]]
        cells = {
            "spec": int("$$" in body and "ource" in body and "xample" in body),
            "hand": tagged.get(("hand", number), 0),
            "gradient": tagged.get(("gradient", number), 0),
            "properties": tagged.get(("properties", number), 0),
            "twin": len(mine),
            "autograd": sum(f'"{o["id"]}"' in client or f"'{o['id']}'" in client for o in mine),
            "fuzz": len(mine) if fuzzed else 0,
            "contract": sum(name in contracts for name in functions.get(number, [])),
            "theorem": sum(line.count("`") // 2 for line in re.findall(r"^Proved: verify/proofs/coq/.*", body, flags=re.M)),
            "rounding": sum(len(re.findall(r"verify/proofs/gappa/\w+\.g", line)) for line in re.findall(r"^Certified: .*", body, flags=re.M)),
            "variants": sum(len(o.get("variants", [])) for o in mine),
        }
        reasons = {EXPLAINED[c.lower()] for c in re.findall(
            r"^(?:[-*] )?No ((?:[A-Za-z-]+ ?){1,3}): \S", body, flags=re.M) if c.lower() in EXPLAINED}
        rule = re.fullmatch(r"N\.[1-9]", number)
        row = []
        for column in COLUMNS:
            if cells[column]:
                row.append(str(cells[column]))
                filled += 1
            elif column in reasons:
                row.append("e")
                explained_cells += 1
            elif rule and (column != "properties" or cells["hand"]):
                row.append("rule")
            elif column in ("theorem", "rounding", "variants"):  # not owed by every equation
                row.append("0")
            else:
                row.append("HOLE")
                holes += 1
                problems.append(f"({number}) {title}: no {column}")
        print(f"{'(' + number + ') ' + title:{width}} " + " ".join(f"{c:>10}" for c in row))
        rows.append((number, title, row))
    print("\nmutants: not by equation; make mutants samples them over all of ref/")
    for problem in problems:
        print(f"evidence: {problem}", file=sys.stderr)
    summary = f"{len(table)} equations, {filled} cells filled, {explained_cells} explained, {holes} holes"
    print(f"evidence: {summary}")
    if len(sys.argv) > 3:
        pathlib.Path(sys.argv[3]).write_text(page(rows, summary, problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
