#!/usr/bin/env python3
"""The mutants of a C source: small mistakes, one at a time.  mutants.py and mutants_judge.py let the tests look for them.

    mutate.py FILE ...      prints their list

The list is a function of the sources: FILE:LINE:COLUMN:KIND:OLD->NEW, of the kinds

    operator    + - * / % += -= *= /= ++ -- << >> & | another one; the sign taken away
    comparison  < <= > >= == != another one;  && || swapped, ! taken away
    constant    0 and 1 swapped, one more, one less, negated
    index       a loop's variable another loop's, a stride left out (t * N + i: t + i)
    statement   an assignment, a call or a guarded return left out
    argument    two neighbours in a call swapped, but for fmax(a, b), strcmp(a, b) == 0 and their like, the same either way round
    variable    a parameter another one of the same declared type

Comments, annotations, strings and preprocessor lines (so the macros that numerics.c builds its kernels from) are left alone.
"""
import pathlib
import re
import sys

TOKEN = re.compile(r"""(?P<skip>^[ \t]*\#(?:\\\n|/\*.*?\*/|[^\n])*|/\*.*?\*/|//[^\n]*|[^\S\n]+|\n)
    |(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<number>\.?\d(?:[eEpP][+-]|[\w.])*)|(?P<name>[A-Za-z_]\w*)
    |(?P<mark><<=|>>=|\+\+|--|->|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)""", re.M | re.S | re.X)
TYPES = {"void", "bool", "char", "int", "unsigned", "long", "float", "double", "size_t", "const", "static", "struct", "enum", "inline",
         "uint64_t", "int64_t", "uint32_t", "int32_t", "smoe_status"}
ALIKE = {"fmax", "fmin", "calloc", "verdict_allocate", "op_room"}  # the same either way round
EQUAL = {"strcmp", "strncmp", "memcmp"}  # and so are these where it is asked whether they are 0
CONTROL = {"if", "for", "while", "do", "switch", "else", "case", "default", "sizeof", "goto", "return", "break", "continue"}
OTHERS = {"+": "-", "-": "+", "*": "/", "/": "*", "%": "*", "+=": "-=", "-=": "+=", "*=": "/=", "/=": "*=", "++": "--", "--": "++",
          "<<": ">>", ">>": "<<", "&": "|", "|": "&"}
COMPARED = {"<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"), "==": ("!=",), "!=": ("==",), "&&": ("||",),
            "||": ("&&",)}


class Source:
    """One file: its tokens, its functions, its mutants [(start, end, kind, new, function)]."""

    def __init__(self, path):
        self.name, self.text = path.name, path.read_text()
        found = [m for m in TOKEN.finditer(self.text) if m.lastgroup != "skip"]
        self.at = [m.start() for m in found]
        self.tok = [m.group() for m in found]
        self.sort = [m.lastgroup for m in found]
        self.pair, self.inside, stack = {}, [], []
        for i, t in enumerate(self.tok):
            if self.sort[i] == "mark" and t in ")]}" and stack:
                self.pair[i] = stack.pop()
                self.pair[self.pair[i]] = i
            self.inside.append(stack[-1] if stack else None)
            if self.sort[i] == "mark" and t in "([{":
                stack.append(i)
        self.found = {}
        function, stop = "-", -1
        for i, t in enumerate(self.tok):
            if self.inside[i] is None and t == "{" and self.tok[i - 1] == ")":
                opened = self.pair[i - 1]
                function, stop = self.tok[opened - 1], self.pair[i]
                self.function(function, opened, i, stop)
            elif i > stop:
                self.constant(i, "-")

    def add(self, first, last, kind, new, function):
        """Tokens first .. last become new."""
        start, end = self.at[first], self.at[last] + len(self.tok[last])
        old = " ".join(self.text[start:end].split())
        line = self.text.count("\n", 0, start) + 1
        column = start - self.text.rfind("\n", 0, start)
        self.found[f"{self.name}:{line}:{column}:{kind}:{old}->{new}"] = (start, end, new, line, function)

    def constant(self, i, function):
        if self.sort[i] != "number":
            return
        try:
            value = float.fromhex(self.tok[i]) if self.tok[i][:2] in ("0x", "0X") else float(self.tok[i].rstrip("uUlLfF"))
        except ValueError:
            return
        c = self.tok[i]
        for new in ["1"] if value == 0 else ["0", "2", "(-1)"] if value == 1 else [f"({c} + 1)", f"({c} - 1)", f"(-{c})"]:
            self.add(i, i, "constant", new, function)

    def function(self, name, opened, body, stop):
        params = {}  # name: declared type
        for first, last in self.arguments(opened):
            words = [t for t in self.tok[first:last + 1]]
            if words[0] == ".":
                continue  # ...
            ident = [k for k, t in enumerate(words) if re.match(r"[A-Za-z_]", t)][-1]
            params[words[ident]] = " ".join(words[:ident] + words[ident + 1:])
        body_range = range(body + 1, stop)
        loops = list(dict.fromkeys(self.tok[i] for i in body_range if self.tok[i - 1] == "size_t" and self.tok[i + 1] == "="))
        sizes = set(loops) | {p for p, kind in params.items() if kind == "size_t"}
        for i in body_range:
            if self.sort[i] == "mark":
                self.marks(i, name)
            elif self.sort[i] == "name":
                self.names(i, name, params, loops, sizes)
            self.constant(i, name)
            if self.inside[i] is not None and self.tok[self.inside[i]] == "{":
                self.statement(i, name)

    def value(self, i):
        """May an operand end at token i, so that what follows is a binary operator?"""
        return self.sort[i] in ("number", "string") or self.tok[i] in (")", "]") or (
            self.sort[i] == "name" and self.tok[i] not in TYPES | CONTROL)

    def marks(self, i, function):
        t = self.tok[i]
        if t in "+-*&" and not self.value(i - 1):
            if t == "-":
                self.add(i, i, "operator", "", function)
        elif t in OTHERS:
            self.add(i, i, "operator", OTHERS[t], function)
        elif t == "!":
            self.add(i, i, "comparison", "", function)
        for new in COMPARED.get(t, ()):
            self.add(i, i, "comparison", new, function)

    def names(self, i, function, params, loops, sizes):
        t = self.tok[i]
        if self.tok[i - 1] in (".", "->"):
            return
        if self.tok[i + 1] == "(" and t not in CONTROL | TYPES:
            args = self.arguments(i + 1)
            compared = self.tok[self.pair[i + 1] + 1] in ("==", "!=") and self.tok[self.pair[i + 1] + 2] == "0"
            alike = t in ALIKE or (t in EQUAL and compared)
            for (a, b), (c, d) in list(zip(args, args[1:]))[alike:]:
                left, right = (self.text[self.at[p]:self.at[q] + len(self.tok[q])] for p, q in ((a, b), (c, d)))
                if left != right:
                    self.add(a, d, "argument", " ".join(f"{right}, {left}".split()), function)
        if t in params:
            same = [p for p in params if params[p] == params[t]]
            if len(same) > 1:
                self.add(i, i, "variable", same[(same.index(t) + 1) % len(same)], function)
        elif t in loops and len(loops) > 1 and self.tok[i - 1] != "size_t":
            self.add(i, i, "index", loops[(loops.index(t) + 1) % len(loops)], function)
        if t in sizes and self.tok[i + 1] == "*" and self.tok[i + 2] in sizes:
            self.add(i, i + 2, "index", t, function)

    def statement(self, i, function):
        before, t = self.tok[i - 1], self.tok[i]
        guarded = before == "else" or (before == ")" and self.tok[self.pair[i - 1] - 1] in ("if", "for", "while"))
        if not (guarded or before in (";", "{", "}", ":")):
            return
        if t in ("return", "break", "continue"):
            if not guarded:
                return
        elif t in TYPES | CONTROL or self.sort[i] != "name" and t not in ("*", "(", "++", "--"):
            return
        elif self.sort[i] == "name" and (self.sort[i + 1] == "name" or self.tok[i + 1] == "*"):
            return  # a declaration
        last = i
        while self.tok[last] not in (";", "{", "}"):
            last = self.pair[last] + 1 if self.tok[last] in "([" and last in self.pair else last + 1
        if self.tok[last] == ";":
            self.add(i, last, "statement", ";", function)

    def arguments(self, opened):
        """[(first, last)] tokens of each argument of the bracket that opens there."""
        ends = [i for i in range(opened + 1, self.pair[opened]) if self.tok[i] == "," and self.inside[i] == opened] + [self.pair[opened]]
        return [(a + 1, b - 1) for a, b in zip([opened] + ends, ends) if b > a + 1]


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print("\n".join(Source(pathlib.Path(argument)).found))
