#!/bin/sh
# Proves the contracts of ref/ with Frama-C/WP and RTE, from scratch, and compares with the committed table results.txt.
#
#   make proofs            (or: sh verify/proofs/wp/prove.sh [ROOT])          all groups; RECORD=yes: and writes proved.txt
#   make proofs-changed    (or: CHANGED=yes sh verify/proofs/wp/prove.sh [ROOT])
#
# The latter leaves out what has been proved as it stands, provers and sources: the groups whose digest is in proved.txt; but of
# those it takes a tenth, others from day to day, so that a table that is not true is found out.
#
# goals.txt names what is proved: one line a group, `file model functions...`.  A function of the library whose header has a
# contract but that no line names (and that trusted.txt does not excuse, with a reason), a goal that is not proved, or a count
# that differs from the table fails.
set -u
wp='-wp -wp-rte -rte-no-pointer-call -wp-prover z3,cvc4 -wp-timeout 30 -wp-par 2 -wp-cache none'

# One group: --one ROOT RESULT FILE MODEL FUNCTIONS...; RESULT gets the goals proved, the goals, and the line of the table.
if [ "${1:-}" = --one ]; then
    root=$2 result=$3 file=$4 model=$5
    shift 5
    started=$(date +%s)
    # -CC keeps the annotations that stand in a macro.  RTE's own goal for a call through a pointer is not expressible in WP 25;
    # the `calls` clause at each such call proves more: that the pointer is one of the functions that it names.
    # shellcheck disable=SC2086
    frama-c -cpp-extra-args="-CC -I$root/ref -D__FRAMAC__" $wp -wp-model "$model" \
        -wp-fct "$(printf '%s' "$*" | tr ' ' ',')" "$root/ref/$file" >"$result.log" 2>&1
    status=$?
    line=$(grep -E '^\[wp\] Proved goals: *[0-9]+ */ *[0-9]+' "$result.log" | tail -n 1)
    got=$(printf '%s' "$line" | sed -E 's/[^0-9]*([0-9]+) *\/ *([0-9]+).*/\1/')
    of=$(printf '%s' "$line" | sed -E 's/[^0-9]*([0-9]+) *\/ *([0-9]+).*/\2/')
    printf '%s %s %s %s %s %s\n' "${got:-0}" "${of:-0}" "$file" "$model" "${of:-0}" "$*" >"$result"
    printf 'proofs: %-12s %4s of %4s goals (%s, %s s): %s\n' "$file" "${got:-0}" "${of:-?}" "$model" "$(($(date +%s) - started))" "$*"
    if [ "$status" -ne 0 ] || [ -z "$line" ] || [ "$got" != "$of" ]; then
        echo "proofs: ref/$file: $*: ${got:-0} of ${of:-?} goals" >&2
        grep -E 'Timeout|Unknown|Failed|error|User Error' "$result.log" | head -n 20 >&2
        exit 1
    fi
    exit 0
fi

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

# One group a processor: Frama-C's own part is a single thread.  Both provers are asked at once, and the first answer counts: some
# goals only one of them proves, and the other would take all of its time first.  The table's counts say which groups are long.
failed=0
groups=0
left_out=0
today=$(($(date +%s) / 86400))
versions=$(frama-c -version; z3 --version; cvc4 --version | head -n 1)
: >"$work/lines"
: >"$work/proved.txt"
while read -r file model functions; do
    case $file in '' | '#'*) continue ;; esac
    groups=$((groups + 1))
    goals=$(sed -n "s/^$file $model \([0-9]*\) $functions\$/\1/p" "$here/results.txt")
    digest=$({ echo "$versions $wp $file $model $functions"; cd "$root/ref" && cat $(${CC:-cc} -MM -I. "$file" | sed 's/^[^:]*://; s/\\$//'); } | sha256sum | cut -c1-16)
    echo "$digest $file $functions" >>"$work/proved.txt"
    if [ -n "${CHANGED:-}" ] && [ -n "$goals" ] && [ $(((groups + today) % 10)) -ne 0 ] && grep -q "^$digest " "$here/proved.txt"; then
        left_out=$((left_out + 1))
        echo "0 0 $file $model $goals $functions" >"$work/$groups"
        continue
    fi
    echo "${goals:-1000} sh '$here/prove.sh' --one '$root' '$work/$groups' $file $model $functions" >>"$work/lines"
done <"$here/goals.txt"
sh "$root/verify/strength/side_by_side.sh" <"$work/lines" || failed=1
for group in $(seq "$groups"); do cat "$work/$group"; done >"$work/all"
cut -d' ' -f3- "$work/all" >"$work/results.txt"
proved=$(awk '{ n += $1 } END { print n + 0 }' "$work/all")
total=$(awk '{ n += $2 } END { print n + 0 }' "$work/all")

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
[ "$left_out" -eq 0 ] || echo "proofs: $left_out of $groups groups left out: proved before, of the same sources by the same provers (proved.txt)"
[ "$failed" -ne 0 ] || [ -z "${RECORD:-}" ] || [ "$left_out" -ne 0 ] || cp "$work/proved.txt" "$here/proved.txt"
exit "$failed"
