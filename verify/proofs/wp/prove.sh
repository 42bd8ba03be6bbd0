#!/bin/sh
# Proves the contracts of ref/ with Frama-C/WP and RTE, from scratch, and compares with the committed table results.txt.
#
#   make proofs                       (or: sh verify/proofs/wp/prove.sh [ROOT])
#
# goals.txt names what is proved: one line a group, `file model functions...`.  A function of the library whose header has a
# contract but that no line names (and that trusted.txt does not excuse, with a reason), a goal that is not proved, or a count
# that differs from the table fails.
set -u
root=${1:-$(cd "$(dirname "$0")/../../.." && pwd)}
here=$root/verify/proofs/wp
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
for tool in frama-c why3 z3 cvc4; do
    command -v "$tool" >/dev/null 2>&1 || { echo "proofs: $tool is not installed" >&2; exit 1; }
done
# Why3 finds the provers into a file of our own; the user's ~/.why3.conf is neither read nor written.
export WHY3CONFIG="$work/why3.conf"
why3 -C "$WHY3CONFIG" config detect >"$work/detect.log" 2>&1 || { cat "$work/detect.log" >&2; exit 1; }

# -CC keeps the annotations that stand in a macro.  RTE's own goal for a call through a pointer is not expressible in WP 25;
# the `calls` clause at each such call proves more: that the pointer is one of the functions that it names.
failed=0
total=0
proved=0
: >"$work/results.txt"
while read -r file model functions; do
    case $file in '' | '#'*) continue ;; esac
    list=$(printf '%s' "$functions" | tr ' ' ',')
    started=$(date +%s)
    frama-c -cpp-extra-args="-CC -I$root/ref -D__FRAMAC__" -wp -wp-rte -rte-no-pointer-call -wp-model "$model" -wp-prover z3,cvc4 -wp-timeout 30 \
        -wp-par 2 -wp-cache none -wp-fct "$list" "$root/ref/$file" >"$work/log" 2>&1
    status=$?
    line=$(grep -E '^\[wp\] Proved goals: *[0-9]+ */ *[0-9]+' "$work/log" | tail -n 1)
    got=$(printf '%s' "$line" | sed -E 's/[^0-9]*([0-9]+) *\/ *([0-9]+).*/\1/')
    of=$(printf '%s' "$line" | sed -E 's/[^0-9]*([0-9]+) *\/ *([0-9]+).*/\2/')
    if [ "$status" -ne 0 ] || [ -z "$line" ] || [ "$got" != "$of" ]; then
        echo "proofs: ref/$file: $functions: ${got:-0} of ${of:-?} goals" >&2
        grep -E 'Timeout|Unknown|Failed|error|User Error' "$work/log" | head -n 20 >&2
        failed=1
    fi
    printf 'proofs: %-12s %4s of %4s goals (%s, %s s): %s\n' "$file" "${got:-0}" "${of:-?}" "$model" "$(($(date +%s) - started))" \
        "$functions"
    printf '%s %s %s %s\n' "$file" "$model" "${of:-0}" "$functions" >>"$work/results.txt"
    total=$((total + ${of:-0}))
    proved=$((proved + ${got:-0}))
done <"$here/goals.txt"

# Every contract is proved: a function with an ACSL contract in a header of ref/ is named in goals.txt.
for header in "$root"/ref/*.h; do
    awk -v file="$(basename "$header")" '
        /\/\*@/ { contract = 1 }
        sub(/^\/\*@.*\*\/ /, "") { } # a contract that stands before its function, in one line
        contract && /^[a-z].*smoe_[a-z0-9_]+\(/ && !/^ *\*/ {
            match($0, /smoe_[a-z0-9_]+\(/); print substr($0, RSTART, RLENGTH - 1); contract = 0 }' "$header"
done | sort -u >"$work/contracts"
while read -r file model functions; do
    case $file in '' | '#'*) continue ;; esac
    printf '%s\n' $functions
done <"$here/goals.txt" >"$work/named.raw"
sed -n 's/^\(smoe_[a-z0-9_]*\) .*/\1/p' "$here/trusted.txt" >>"$work/named.raw"
sort -u "$work/named.raw" >"$work/named"
unproved=$(comm -23 "$work/contracts" "$work/named" | tr '\n' ' ')
if [ -n "$(printf '%s' "$unproved" | tr -d ' ')" ]; then
    echo "proofs: contracts that nothing proves: $unproved" >&2
    failed=1
fi
if ! cmp -s "$work/results.txt" "$here/results.txt"; then
    echo 'proofs: the counts differ from the committed table verify/proofs/wp/results.txt:' >&2
    diff "$here/results.txt" "$work/results.txt" >&2
    failed=1
fi
printf 'proofs: %s of %s goals proved, %s contracts, Frama-C %s\n' "$proved" "$total" "$(wc -l <"$work/contracts")" \
    "$(frama-c -version)"
exit "$failed"
