#!/bin/sh
# Compiles the theorems about the mathematics of spec/ with Coq, from scratch, and compares them with what spec/ claims.
#
#   make coq                       (or: sh verify/proofs/coq/prove.sh [ROOT])
#
# A theorem is what stands after the keyword Theorem; lemmas are on the way to one. spec/ names each of them in the section of
# its equation, in lines `Proved: verify/proofs/coq/FILE.v, theorems `NAME`, `NAME`.` What fails: a file that does not compile,
# a statement assumed or left unproved, an assumption outside assumptions.txt, a theorem that spec/ does not name, and a name
# in spec/ without its theorem. Nothing is written beside the sources.
set -u
export LC_ALL=C
root=$(cd "${1:-$(dirname "$0")/../../..}" && pwd) || exit 1
here=$root/verify/proofs/coq
command -v coqc >/dev/null 2>&1 || { echo 'coq: coqc is not installed' >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
started=$(date +%s)
failed=0
complain() { printf 'coq: %s\n' "$*" >&2; failed=1; }

# The keywords that assume, outside of comments (which do not nest here and start a line or end it).
cp "$here"/*.v "$work" || exit 1
cd "$work" || exit 1
for file in *.v; do
    sed -e 's/(\*.*\*)//' -e '/(\*/,/\*)/d' "$file" |
        grep -nwE 'Admitted|admit|give_up|Abort|Axioms?|Parameters?|Conjecture|Hypothes[ie]s|Variables?|Context|Unset|bypass_check' |
        sed "s/^/$file: /" >>assumed
done
if [ -s assumed ]; then complain 'assumed, not proved:'; cat assumed >&2; fi

# Compiled in the order of their dependencies.
if ! coq_makefile -Q . Smoeref *.v -o Makefile.coq >log 2>&1 || ! make -f Makefile.coq -j"$(nproc 2>/dev/null || echo 1)" >>log 2>&1; then
    complain 'a file does not compile:'
    grep -A 12 -E '^File|Error' log | head -n 40 >&2
    exit 1
fi

# FILE.NAME of each theorem in the sources, and in spec/ with the equation of its section.
for file in *.v; do
    sed -n "s/^Theorem \([A-Za-z0-9_']*\).*/${file%.v}.\1/p" "$file"
done | sort >proved
awk '/^### \(/ { section = $2 }
    /^#/ && !/^### \(/ { section = "-" }
    /^Proved: verify\/proofs\/coq\// {
        file = $2; sub(/.*\//, "", file); sub(/\.v,$/, "", file)
        n = split($0, part, "`")
        for (i = 2; i <= n; i += 2) print file "." part[i], section
    }' "$root"/spec/[0-9]*.md | sort >claimed
cut -d ' ' -f 1 claimed | sort -u >names
for name in $(comm -23 proved names); do complain "$name is named nowhere in spec/"; done
for name in $(comm -13 proved names); do complain "$name, of ($(grep "^$name " claimed | cut -d ' ' -f 2 | tr '\n' ' ')), is no theorem"; done

# What they rest on, all of them together.
{
    printf 'From Smoeref Require'
    for file in *.v; do printf ' %s' "${file%.v}"; done
    printf '.\nDefinition all := (%sI).\nRedirect "rests" Print Assumptions all.\n' "$(sed 's/.*/Smoeref.&, /' proved)"
} >all
mkdir print && mv all print/all.v
if ! coqc -w none -Q . Smoeref print/all.v >log 2>&1 || [ ! -s rests.out ]; then
    complain 'the assumptions cannot be printed:'
    head -n 20 log >&2
    exit 1
fi
cat rests.out # an axiom's name stands at the start of a line; its type is indented or follows a colon
grep -E '^[A-Za-z_]' rests.out | grep -vE '^(Axioms:|Closed under)' | sed 's/[ :].*//' | sort -u >used
grep -v '^#' "$here/assumptions.txt" | sort >allowed
for name in $(comm -23 used allowed); do complain "a theorem rests on $name, which assumptions.txt does not list"; done
while read -r name section; do printf 'coq: %-7s %s\n' "$section" "$name"; done <claimed
printf 'coq: %s theorems about %s equations, %s s, Coq %s\n' "$(wc -l <proved)" "$(cut -d ' ' -f 2 claimed | sort -u | wc -l)" "$(($(date +%s) - started))" \
    "$(coqc --version | sed -n 's/.*version \([0-9.]*\).*/\1/p')"
exit "$failed"
