"""Which conditions the tests have shown to matter, for mcdc.sh.

mcdc.py ROOT EXPORT FILE...        EXPORT.json of `llvm-cov export`, EXPORT.text of `llvm-cov show --show-mcdc`
mcdc.py --rewrite ROOT OUT FILE... copies the sources, with the changes of mcdc.rewrite
mcdc.py --selftest ROOT EXPORT     of the program mcdc_selftest.c, whose verdicts are known

A condition that stands alone (`if (a)`) is shown when it has been true and false.  One of several (`a || b`) is shown when there are two
runs of the decision that differ in it, in the outcome, and in no other condition that was evaluated: masking MC/DC, as clang counts it.
"""
import json
import os
import re
import sys


HERE = os.path.dirname(os.path.abspath(__file__))


class Condition:
    def __init__(self, function, line, column, text, shown, why):
        self.function, self.line, self.column, self.text, self.shown, self.why = function, line, column, text, shown, why
        self.excused = False


def text_at(lines, region):
    """The source text of a region, on one line.  Where a macro is called the region ends before its arguments."""
    first, from_column, last, to_column = region
    if first == last:
        text = lines[first - 1][from_column - 1:to_column - 1]
        rest = lines[first - 1][from_column - 1 + len(text):]
        if re.fullmatch(r'!?\w*', text) and re.match(r'\w*\(', rest):
            end, depth = rest.index('(') + 1, 1
            while depth and end < len(rest):
                depth += (rest[end] == '(') - (rest[end] == ')')
                end += 1
            text += rest[:end]
    else:
        text = ' '.join([lines[first - 1][from_column - 1:]] + lines[first:last - 1] + [lines[last - 1][:to_column - 1]])
    return re.sub(r'[\s\\]+', ' ', text).strip()


def macro_around(lines, line):
    """The macro in whose definition a line stands."""
    for i in range(line - 1, -1, -1):
        found = re.match(r'\s*#\s*define\s+(\w+)', lines[i])
        if found:
            return found.group(1)
    return '?'


def decisions_of(text, only):
    """{file: [[line, column, shown] of each condition, for each decision]} of `llvm-cov show`, which does not name an only file."""
    files = {only: []}
    file, region = files[only], None
    for line in text.split('\n'):
        found = re.match(r'(/\S+):$', line)
        if found:
            file = files.setdefault(found.group(1), [])
            continue
        if 'MC/DC Decision Region' in line:
            region = []
            file.append(region)
            continue
        found = re.search(r'Condition C\d+ --> \((\d+):(\d+)\)', line)
        if found:
            region.append([int(found.group(1)), int(found.group(2)), True])
            continue
        found = re.search(r'C(\d+)-Pair: (not covered|covered|constant folded)', line)
        if found:
            region[int(found.group(1)) - 1][2] = {'covered': True, 'not covered': False, 'constant folded': None}[found.group(2)]
    return files


def conditions_of(export, path, lines, decisions):
    """Every condition of a file, and the lines of it that never ran."""
    regions, owners, alone = {}, {}, {}
    for function in export['functions']:
        if function['filenames'][0] != path:
            continue
        name = function['name'].split(':')[-1]
        begin, end = function['regions'][0][0], function['regions'][0][2]
        for branch in function['branches']:
            line, column, yes, no, number = branch[0], branch[1], branch[4], branch[5], branch[6]
            if function['filenames'][number] != path:
                continue
            regions[line, column] = tuple(branch[:4])
            if begin <= line <= end:
                owners[line] = name
            counts = alone.setdefault((name, line, column), [0, 0])
            counts[0] += yes
            counts[1] += no
    several, conditions = set(), []
    for members in decisions:
        for number, (line, column, shown) in enumerate(members):
            if shown is None: # a constant is no condition
                continue
            several.add((line, column))
            function = owners.get(line) or macro_around(lines, line)
            conditions.append(Condition(function, line, column, text_at(lines, regions[line, column]), shown,
                                        'C%d of %d' % (number + 1, len(members))))
    for (name, line, column), (yes, no) in alone.items():
        if (line, column) not in several:
            why = 'never evaluated' if not yes and not no else 'never true' if not yes else 'never false' if not no else ''
            conditions.append(Condition(name, line, column, text_at(lines, regions[line, column]), not why, why))
    conditions.sort(key=lambda c: (c.line, c.column))
    return conditions


def lines_of(export_file):
    """Line numbers that never ran, by llvm-cov's rule: the largest count of the segments of the line, or the one that wraps it."""
    segments = export_file['segments']
    missed, i, wrapping = [], 0, None
    if not segments:
        return missed, 0
    counted = 0
    for line in range(segments[0][0], segments[-1][0] + 1):
        here = []
        while i < len(segments) and segments[i][0] == line:
            here.append(segments[i])
            i += 1
        entries = [s for s in here if s[3] and s[4] and not s[5]]
        starts_skipped = here and not here[0][3] and here[0][4]
        mapped = not starts_skipped and ((wrapping is not None and wrapping[3]) or bool(entries))
        if mapped:
            count = max([s[2] for s in entries] + ([wrapping[2]] if wrapping is not None and wrapping[3] else []))
            counted += 1
            if count == 0:
                missed.append(line)
        if here:
            wrapping = here[-1]
    return missed, counted


class Excuse:
    """in: FILE FUNCTION / condition: TEXT / reason: WHY (or machine: WHY, where another machine takes that route)."""
    def __init__(self, file, function, text, machine):
        self.file, self.function, self.text, self.machine, self.used = file, function, text, machine, False


def excuses_of(path):
    excuses, place, text = [], None, None
    with open(path) as f:
        for number, line in enumerate(f, 1):
            line = line.strip()
            if not line or line.startswith('#'):
                continue
            key, _, value = line.partition(': ')
            if key == 'in':
                place = value.split()
            elif key == 'condition' and place:
                text = value
            elif key in ('reason', 'machine') and text and len(place) == 2:
                excuses.append(Excuse(place[0], place[1], text, key == 'machine'))
                text = None
            else:
                sys.exit('%s:%d: expected in:, condition:, and reason: or machine:' % (path, number))
    return excuses


def floors_of(path):
    with open(path) as f:
        rows = [line.split() for line in f if line.strip() and not line.startswith('#')]
    return {file: (int(conditions), int(lines)) for file, conditions, lines in rows}


def judge(root, export, decisions, files, excuses, floors, out):
    """The lines to be printed go to `out`; the complaints are returned."""
    complaints, total = [], [0, 0, 0, 0, 0]
    by_file = {f['filename']: f for f in export['files']}
    for file in files:
        path = os.path.join(root, file)
        with open(path) as f:
            lines = f.read().split('\n')
        if path not in by_file:
            complaints.append('%s: not counted' % file)
            continue
        conditions = conditions_of(export, path, lines, decisions.get(path, []))
        missed, counted = lines_of(by_file[path])
        for excuse in excuses:
            for condition in conditions:
                if (excuse.file, excuse.function, excuse.text) == (file, condition.function, condition.text) and not condition.shown:
                    excuse.used = condition.excused = True
        shown = sum(c.shown for c in conditions)
        excused = sum(c.excused for c in conditions)
        pairs = [c for c in conditions if c.why.startswith('C')]
        open_ones = [c for c in conditions if not c.shown and not c.excused]
        out.append('mcdc: %-28s lines %4d of %4d, conditions %4d of %4d (%5.1f %%; in decisions of several %3d of %3d), %d excused, %d open' % (
            file, counted - len(missed), counted, shown, len(conditions), 100.0 * shown / max(1, len(conditions)),
            sum(c.shown for c in pairs), len(pairs), excused, len(open_ones)))
        for c in open_ones:
            out.append('  %s:%d:%d: %s: %s: %s' % (file, c.line, c.column, c.function, c.text, c.why))
        if missed:
            out.append('  %s: never run: lines %s' % (file, ' '.join(map(str, missed))))
        if file not in floors:
            complaints.append('%s: no line in mcdc.floor' % file)
        else:
            if len(open_ones) > floors[file][0]:
                complaints.append('%s: %d conditions are open, mcdc.floor allows %d' % (file, len(open_ones), floors[file][0]))
            if len(missed) > floors[file][1]:
                complaints.append('%s: %d lines never ran, mcdc.floor allows %d' % (file, len(missed), floors[file][1]))
            if (len(open_ones), len(missed)) < floors[file]:
                out.append('mcdc: %s: mcdc.floor can be lowered to %d %d' % (file, len(open_ones), len(missed)))
        for i, n in enumerate((len(conditions), shown, excused, len(open_ones), len(missed))):
            total[i] += n
    for excuse in excuses:
        if not excuse.used and not excuse.machine:
            complaints.append('excused in vain: %s %s: %s' % (excuse.file, excuse.function, excuse.text))
    out.append('mcdc: %d files, %d of %d conditions shown, %d excused, %d open; %d lines never run' % (
        len(files), total[1], total[0], total[2], total[3], total[4]))
    return complaints


def read(export):
    with open(export + '.json') as f:
        data = json.load(f)['data'][0]
    with open(export + '.text') as f:
        return data, decisions_of(f.read(), data['files'][0]['filename'])


def rewrite(root, out, files):
    """Copies of the sources in which clang counts every decision."""
    with open(os.path.join(HERE, 'mcdc.rewrite')) as f:
        changes = [re.split(r' +\| +', line.strip(), maxsplit=2) for line in f if line.strip() and not line.startswith('#')]
    for file in files:
        with open(os.path.join(root, file)) as f:
            text = f.read()
        for name, old, new in changes:
            if name == file:
                if old not in text:
                    sys.exit('mcdc: mcdc.rewrite: %s: nowhere: %s' % (file, old))
                text = text.replace(old, new)
        path = os.path.join(out, file)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as f:
            f.write(text)
    return 0


def selftest(root, export):
    data, decisions = read(export)
    file = 'ref/planted.c'
    with open(os.path.join(root, file)) as f:
        lines = f.read().split('\n')
    path = os.path.join(root, file)
    conditions = conditions_of(data, path, lines, decisions[path])
    found = {c.text: c.shown for c in conditions}
    wanted = {}
    for line in lines: # what each is to be stands beside it:  /* shown: a, b; open: c */
        for key, texts in re.findall(r'(shown|open): (.+?)(?:;| \*/)', line):
            for text in texts.split(', '):
                wanted[text.strip()] = key == 'shown'
    faults = ['%s: %s' % (t, 'wrongly called shown' if found.get(t) else 'wrongly called open') for t in wanted if found.get(t) != wanted[t]]
    faults += ['%s: not expected' % t for t in found if t not in wanted]
    n = sum(not shown for shown in wanted.values())
    excuse_all = [(c.function, c.text) for c in conditions if not c.shown]
    in_vain = [(c.function, c.text) for c in conditions if c.shown][:1]
    for pairs, floor, red in (([], (n, 1), False), ([], (n - 1, 1), True), ([], (n, 0), True), (in_vain, (n, 1), True),
                              (excuse_all, (0, 1), False), (excuse_all[1:], (0, 1), True),
                              ([('elsewhere', text) for _, text in excuse_all], (n, 1), True)):
        excuses = [Excuse(file, function, text, False) for function, text in pairs]
        if bool(judge(root, data, decisions, [file], excuses, {file: floor}, [])) != red:
            faults.append('floor %s with %d excuses: not %s' % (floor, len(excuses), 'red' if red else 'green'))
    if not judge(root, data, decisions, [file, file], [], {}, []):
        faults.append('a file without a floor: not red')
    for fault in faults:
        print('mcdc: selftest: ' + fault, file=sys.stderr)
    print('mcdc: selftest: %d conditions, %d of them open, %d faults' % (len(wanted), n, len(faults)))
    return 1 if faults else 0


def main():
    if sys.argv[1] == '--selftest':
        return selftest(sys.argv[2], sys.argv[3])
    if sys.argv[1] == '--rewrite':
        return rewrite(sys.argv[2], sys.argv[3], sys.argv[4:])
    data, decisions = read(sys.argv[2])
    out = []
    complaints = judge(sys.argv[1], data, decisions, sys.argv[3:], excuses_of(os.path.join(HERE, 'mcdc.excused')),
                       floors_of(os.path.join(HERE, 'mcdc.floor')), out)
    print('\n'.join(out))
    for complaint in complaints:
        print('mcdc: ' + complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == '__main__':
    sys.exit(main())
