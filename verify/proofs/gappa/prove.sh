#!/bin/sh
# Proves the bounds on rounding errors that spec/ claims of the scalar kernels and of small fixed sizes, with Gappa.
#
#   make gappa                     (or: sh verify/proofs/gappa/prove.sh [ROOT])
#
# Each FILE.g is a model of lines of ref/numerics.c, which it quotes (`# ref/numerics.c: ...`).  What fails: a goal that Gappa does not
# prove; a quoted line that is not in the source any more; a file that no section of spec/ names in a line `Certified:
# verify/proofs/gappa/FILE.g`, and a name without its file; and, the control, a file whose goals Gappa proves with half the bounds too, which
# says that hypotheses contradict each other or that a bound is not what the arithmetic does.
set -u
export LC_ALL=C
root=$(cd "${1:-$(dirname "$0")/../../..}" && pwd) || exit 1
here=$root/verify/proofs/gappa
command -v gappa >/dev/null 2>&1 || { echo 'gappa: gappa is not installed' >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
failed=0 files=0 questions=0
complain() { printf 'gappa: %s\n' "$*" >&2; failed=1; }

# The ranges of |R| of exponential.g: from 2^-20 to 0.01084 by steps of a tenth, and everything below.
ranges() {
    awk 'BEGIN {
        for (high = 0.01084; high > 2 ^ -20; high = low) {
            low = high / 1.1
            printf "%.17g %.17g %.17g %.17g %.17g\n", low, high, low - 2 ^ -44, high + 2 ^ -44, (2 ^ -49 * low * low + 2 ^ -85) * (1 - 2 ^ -40)
        }
        printf "0 %.17g 0 %.17g %.17g\n", high, high + 2 ^ -44, 2 ^ -85
    }'
}

halved() { awk '/->/ && !/^#/ && !rules { goals = 1 }
    goals { $0 = gensub_bounds($0) }
    /}/ && !/^#/ { goals = 0; if (!/^{/) rules = 1 }
    { print }
    function gensub_bounds(line, out) { # 7b-53 becomes 7b-54
        out = ""
        while (match(line, /[0-9]+b-[0-9]+/)) {
            token = substr(line, RSTART, RLENGTH)
            split(token, part, "b-")
            out = out substr(line, 1, RSTART - 1) part[1] "b-" (part[2] + 1)
            line = substr(line, RSTART + RLENGTH)
        }
        return out line
    }' "$1"; }

prove() { # prove FILE: does Gappa prove all goals of it?
    questions=$((questions + 1))
    gappa "$1" >"$work/log" 2>&1
}

for file in "$here"/*.g; do
    name=$(basename "$file")
    files=$((files + 1))
    started=$(date +%s)
    sed -n 's/^# ref\/numerics\.c: *//p' "$file" >"$work/quoted"
    [ -s "$work/quoted" ] || complain "$name quotes no line of ref/numerics.c"
    tr -s ' \\\n' ' ' <"$root/ref/numerics.c" >"$work/source"
    while IFS= read -r line; do
        grep -qF -- "$(printf '%s' "$line" | tr -s ' ')" "$work/source" || complain "$name: not in ref/numerics.c: $line"
    done <"$work/quoted"
    grep -q "^Certified:.*verify/proofs/gappa/$name" "$root"/spec/[0-9]*.md || complain "$name is named nowhere in spec/"
    if grep -q @LOW@ "$file"; then
        ranges >"$work/ranges"
        count=0
        while read -r low high lower higher bound; do
            sed -e '/^#/d' -e "s/@LOW@/$low/; s/@HIGH@/$high/; s/@LOWER@/$lower/; s/@HIGHER@/$higher/; s/@BOUND@/$bound/" "$file" >"$work/range.g"
            prove "$work/range.g" || { complain "$name: not proved for R from $low to $high:"; tail -n 5 "$work/log" >&2; break; }
            sed "s/\[0, $bound\]/[0, $(echo "$bound" | awk '{ printf "%.17g", $1 / 2 }')]/" "$work/range.g" >"$work/control.g"
            if [ "$count" -eq 0 ] && gappa "$work/control.g" >/dev/null 2>&1; then complain "$name: proved with half its bound too"; fi
            count=$((count + 1))
        done <"$work/ranges"
        what="$count ranges of R"
    else
        prove "$file" || { complain "$name: not proved:"; tail -n 5 "$work/log" >&2; }
        halved "$file" >"$work/control.g"
        if cmp -s "$file" "$work/control.g"; then complain "$name: no bound to halve"; fi
        if gappa "$work/control.g" >/dev/null 2>&1; then complain "$name: proved with half its bounds too"; fi
        what=$(sed -n '1s/^# //p' "$file")
    fi
    printf 'gappa: %-15s %s (%s s)\n' "$name" "$what" "$(($(date +%s) - started))"
done
for name in $(sed -n 's/^Certified://p' "$root"/spec/[0-9]*.md | grep -o 'verify/proofs/gappa/[a-z_]*\.g' | sort -u); do
    [ -e "$root/$name" ] || complain "spec/ names $name, which is not there"
done
printf 'gappa: %s files, %s questions, %s\n' "$files" "$questions" "$(gappa --version 2>&1 | head -n 1)"
exit "$failed"
