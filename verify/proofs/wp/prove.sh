#!/bin/sh
# Proves the contracts of ref/ with Frama-C/WP and RTE, from scratch, and compares with the committed table results.txt.
#
#   make proofs            (or: sh verify/proofs/wp/prove.sh [ROOT])          all groups
#   make proofs-changed    (or: CHANGED=yes sh verify/proofs/wp/prove.sh [ROOT])
#   make proofs-selftest   (or: sh verify/proofs/wp/prove.sh --selftest [ROOT])
#
# The second leaves out what has been proved as it stands, provers and sources: the groups whose digest is in proved.txt; but of
# those it takes a tenth, others from day to day, so that a table that is not true is found out.  RECORD=yes writes
# proved.txt: what the run has proved, and the lines of groups that it left out.  The third sees that a loop without its
# invariant, a helper that is called but not proved, a function without a contract and a contract that nothing proves are noticed.
#
# goals.txt names what is proved: one line a group, `file model functions...`.  It fails if a goal is not proved, a count differs
# from the table, a contract in a header is neither named there nor excused in trusted.txt, with a reason, a function that is proved
# calls one of its own file of which this holds, or a function of a header has no contract and is not in uncontracted.txt, with a reason.
set -u
wp='-wp -wp-rte -rte-no-pointer-call -wp-par 2 -wp-cache update'
# CVC4 first, alone and not for long: it answers nearly all.  What it leaves open is asked of both at once, for some goals only one of them
# proves; and what is open then with four times the time (not with ONCE=yes), for on a busy machine some run out of it.
quick='-wp-prover cvc4 -wp-timeout 4'
both='-wp-prover z3,cvc4 -wp-timeout 30'
long='-wp-prover z3,cvc4 -wp-timeout 120'

# One group: --one ROOT RESULT FILE MODEL FUNCTIONS...; RESULT gets the goals proved, the goals, and the line of the table.
if [ "${1:-}" = --one ]; then
    root=$2 result=$3 file=$4 model=$5
    shift 5
    started=$(date +%s)
    # The cache is empty at the start and goes with the run: an attempt finds there what the one before it proved.
    mkdir "$result.cache" || exit 1
    # -CC keeps the annotations that stand in a macro.  RTE's own goal for a call through a pointer is not expressible in WP 25;
    # the `calls` clause at each such call proves more: that the pointer is one of the functions that it names.
    for attempt in "$quick" "$both" "$long"; do
        [ "$attempt" != "$long" ] || [ -z "${ONCE:-}" ] || break
        # shellcheck disable=SC2086
        frama-c -cpp-extra-args="-CC -I$root/ref -D__FRAMAC__" $wp -wp-cache-dir "$result.cache" $attempt -wp-model "$model" \
            -wp-fct "$(printf '%s' "$*" | tr ' ' ',')" "$root/ref/$file" >"$result.log" 2>&1
        status=$?
        line=$(grep -E '^\[wp\] Proved goals: *[0-9]+ */ *[0-9]+' "$result.log" | tail -n 1)
        got=$(printf '%s' "$line" | sed -E 's/[^0-9]*([0-9]+) *\/ *([0-9]+).*/\1/')
        of=$(printf '%s' "$line" | sed -E 's/[^0-9]*([0-9]+) *\/ *([0-9]+).*/\2/')
        [ "$status" -ne 0 ] || [ -z "$line" ] || [ "$got" != "$of" ] || break
    done
    rm -rf "$result.cache"
    printf '%s %s %s %s %s %s\n' "${got:-0}" "${of:-0}" "$file" "$model" "${of:-0}" "$*" >"$result"
    sed -n "s/^  \\(Qed\\|CVC4\\|Z3\\)[^:]*: *\\([0-9]*\\).*/$file \\1 \\2/p" "$result.log" >"$result.provers"
    printf 'proofs: %-12s %4s of %4s goals (%s, %s s): %s\n' "$file" "${got:-0}" "${of:-?}" "$model" "$(($(date +%s) - started))" "$*"
    if [ "$status" -ne 0 ] || [ -z "$line" ] || [ "$got" != "$of" ]; then
        echo "proofs: ref/$file: $*: ${got:-0} of ${of:-?} goals" >&2
        grep -E 'Timeout|Unknown|Failed|error|User Error' "$result.log" | head -n 20 >&2
        exit 1
    fi
    exit 0
fi

selftest=
[ "${1:-}" != --selftest ] || { selftest=yes; shift; }
script=$(cd "$(dirname "$0")" && pwd)/prove.sh
root=$(cd "${1:-$(dirname "$0")/../../..}" && pwd)
here=$root/verify/proofs/wp
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# A copy that proves one small group and takes the others on trust is whole, and so is one that proves none; not so with a fault.
if [ -n "$selftest" ]; then
    expect() { # expect STATUS WHAT THE COPY IS, and what it has to say
        env -u CHANGED -u RECORD ONCE=yes sh "$script" "$work/$2" >"$work/$2.log" 2>&1
        status=$?
        if [ "$status" -ne "$1" ] || ! grep -q -- "$3" "$work/$2.log"; then
            echo "proofs: selftest: $2: status $status where $1 is due, with '$3':" >&2
            cat "$work/$2.log" >&2
            exit 1
        fi
        echo "proofs: selftest: $2: $(grep -m 1 -- "$3" "$work/$2.log")"
    }
    group='balance.c Typed smoe_load_kept smoe_accumulate_load'
    for copy in one_group none without_invariant without_helper without_contract without_proof; do
        mkdir -p "$work/$copy/verify/proofs/wp" "$work/$copy/verify/strength"
        cp -R "$root/ref" "$work/$copy"
        cp "$root/verify/strength/side_by_side.sh" "$work/$copy/verify/strength"
        tables=$work/$copy/verify/proofs/wp
        cp "$here/uncontracted.txt" "$tables"
        { cat "$here/trusted.txt"; grep -v '^#' "$here/goals.txt" | tr ' ' '\n' | sed -n 's/^smoe_.*/& proved elsewhere/p'; } >"$tables/trusted.txt"
        : >"$tables/goals.txt"
        : >"$tables/results.txt"
        case $copy in one_group | without_invariant)
            echo "$group" >"$tables/goals.txt"
            grep "^balance.c Typed [0-9]* ${group#* * }\$" "$here/results.txt" >"$tables/results.txt" ;;
        without_helper) echo 'balance.c Typed+real smoe_cv_squared_vjp' >"$tables/goals.txt" ;;
        esac
    done
    sed -i '/loop invariant .*total\[j\] + count\[j\] <= /d' "$work/without_invariant/ref/balance.c"
    for copy in without_contract without_proof; do
        [ "$copy" = without_contract ] || printf '%s\n' '/*@ assigns \nothing; */' >>"$work/$copy/ref/balance.h"
        echo 'smoe_status smoe_of_the_selftest(size_t N);' >>"$work/$copy/ref/balance.h"
    done
    ! cmp -s "$root/ref/balance.c" "$work/without_invariant/ref/balance.c" || { echo 'proofs: selftest: the invariant is not there' >&2; exit 1; }
    expect 0 one_group 'goals proved,'
    expect 0 none ' 0 of 0 goals proved,'
    expect 1 without_invariant 'smoe_accumulate_load: [0-9]* of [0-9]* goals$'
    expect 1 without_helper 'variation_vjp, called by smoe_cv_squared_vjp'
    expect 1 without_contract 'without a contract: smoe_of_the_selftest'
    expect 1 without_proof 'that nothing proves: smoe_of_the_selftest'
    exit 0
fi
started=$(date +%s)
for tool in frama-c why3 z3 cvc4; do
    command -v "$tool" >/dev/null 2>&1 || { echo "proofs: $tool is not installed" >&2; exit 1; }
done
# Why3 finds the provers into a file of our own; the user's ~/.why3.conf is neither read nor written.
export WHY3CONFIG="$work/why3.conf"
why3 -C "$WHY3CONFIG" config detect >"$work/detect.log" 2>&1 || { cat "$work/detect.log" >&2; exit 1; }

# One group a processor: Frama-C's own part is a single thread.  The table's counts say which groups are long.
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
    digest=$({ echo "$versions $wp $quick $both $long $file $model $functions"; cd "$root/ref" && cat $(${CC:-cc} -MM -I. "$file" | sed 's/^[^:]*://; s/\\$//'); } | sha256sum | cut -c1-16)
    echo "$digest $file $functions" >>"$work/proved.txt"
    if [ -n "${CHANGED:-}" ] && [ -n "$goals" ] && [ $(((groups + today) % 10)) -ne 0 ] && grep -q "^$digest " "$here/proved.txt"; then
        left_out=$((left_out + 1))
        echo "0 0 $file $model $goals $functions" >"$work/$groups"
        : >"$work/$groups.provers"
        : >"$work/$groups.left"
        continue
    fi
    echo "${goals:-1000} sh '$script' --one '$root' '$work/$groups' $file $model $functions" >>"$work/lines"
done <"$here/goals.txt"
sh "$root/verify/strength/side_by_side.sh" <"$work/lines" || failed=1
for group in $(seq "$groups"); do cat "$work/$group"; done >"$work/all"
cut -d' ' -f3- "$work/all" >"$work/results.txt"
proved=$(awk '{ n += $1 } END { print n + 0 }' "$work/all")
total=$(awk '{ n += $2 } END { print n + 0 }' "$work/all")

# Every function of a header of ref/ has a contract, and is named in goals.txt; or an excuse.
for header in "$root"/ref/*.h; do
    awk '
        /\/\*@/ { annotation = 1 }
        annotation && /(requires|assigns|ensures) / { contract = 1 } # not so of predicates
        /\*\// { annotation = 0 }
        sub(/^\/\*@.*\*\/ /, "") { } # a contract that stands before its function, in one line
        /^[a-z].*smoe_[a-z0-9_]+\(/ && !/^typedef/ {
            match($0, /smoe_[a-z0-9_]+\(/); print contract ? "contract" : "bare", substr($0, RSTART, RLENGTH - 1); contract = 0 }' "$header"
done | sort -u >"$work/declared"
sed -n 's/^contract //p' "$work/declared" >"$work/contracts"
sed -n 's/^bare //p' "$work/declared" >"$work/bare"
sed -n 's/^\(smoe_[a-z0-9_]*\) .*/\1/p' "$here/uncontracted.txt" | sort -u >"$work/excused"
bare=$(comm -23 "$work/bare" "$work/excused" | tr '\n' ' ')
if [ -n "$bare" ]; then
    echo "proofs: functions without a contract: $bare" >&2
    failed=1
fi
stale=$(comm -13 "$work/bare" "$work/excused" | tr '\n' ' ')
if [ -n "$stale" ]; then
    echo "proofs: in uncontracted.txt, but with a contract, or gone: $stale" >&2
    failed=1
fi
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
# What a proved function calls in its own file is proved too, or excused: a contract that nobody proves is worth nothing to its caller.
while read -r file model functions; do
    case $file in '' | '#'*) continue ;; esac
    printf "proved $file %s\n" $functions
done <"$here/goals.txt" >"$work/known"
sed -n 's/^\([a-z][a-z0-9_]*\) .*/excused * \1/p' "$here/trusted.txt" >>"$work/known"
taken=$(awk '
    $1 == "proved" || $1 == "excused" { known[$2, $3] = $1; next }
    FNR == 1 { n = split(FILENAME, path, "/"); file = path[n]; name = ""; inside = 0 }
    { gsub(/\/\*([^*]|\*[^\/])*\*\//, ""); sub(/\/\/.*/, "") }
    comment { if (!sub(/.*\*\//, "")) next; comment = 0 }
    sub(/\/\*.*/, "") { comment = 1 }
    !inside && /^[a-z].*[a-z0-9_]\(/ && !/;[ ]*$/ {
        match($0, /[a-z0-9_]+\(/); name = substr($0, RSTART, RLENGTH - 1); defined[file, name] = 1
        if (!/{.*}/) next
    }
    /^{/ { inside = 1 }
    name != "" {
        rest = inside ? $0 : substr($0, index($0, "{") + 1)
        while (match(rest, /[a-z][a-z0-9_]*\(/)) {
            calls[file, name, substr(rest, RSTART, RLENGTH - 1)] = 1
            rest = substr(rest, RSTART + RLENGTH)
        }
    }
    /^}/ || (!inside && /{.*}/) { inside = 0; name = "" }
    END {
        for (call in calls) {
            split(call, part, SUBSEP)
            if (((part[1], part[2]) in known) && ((part[1], part[3]) in defined) &&
                !((part[1], part[3]) in known) && !(("*", part[3]) in known)) print part[1] ": " part[3] ", called by " part[2]
        }
    }' "$work/known" "$root"/ref/*.c | sort)
if [ -n "$taken" ]; then
    echo 'proofs: neither proved nor in trusted.txt, but called by what is proved:' >&2
    printf '%s\n' "$taken" >&2
    failed=1
fi
if ! cmp -s "$work/results.txt" "$here/results.txt"; then
    echo 'proofs: the counts differ from the committed table verify/proofs/wp/results.txt:' >&2
    diff "$here/results.txt" "$work/results.txt" >&2
    failed=1
fi
# Which prover answered how many, by file; a goal that both answered counts for both.
for group in $(seq "$groups"); do
    sed 's/^[^ ]* \([^ ]*\) \([^ ]*\) .*/\2 goals \1/' "$work/$group"
    cat "$work/$group.provers"
done | awk '
    !($1 in seen) { seen[$1] = 1; file[++files] = $1 }
    { n[$1, $2] += $3; n["total", $2] += $3 }
    END {
        file[++files] = "total"
        printf "proofs: %-14s %6s %6s %6s %6s\n", "", "goals", "Qed", "CVC4", "Z3"
        for (i = 1; i <= files; i++)
            printf "proofs: %-14s %6d %6d %6d %6d\n", file[i], n[file[i], "goals"], n[file[i], "Qed"], n[file[i], "CVC4"], n[file[i], "Z3"]
    }'
printf 'proofs: %s of %s goals proved, %s contracts, Frama-C %s, %s s\n' "$proved" "$total" "$(wc -l <"$work/contracts")" \
    "$(frama-c -version)" "$(($(date +%s) - started))"
[ "$left_out" -eq 0 ] || echo "proofs: $left_out of $groups groups left out: proved before, of the same sources by the same provers (proved.txt)"
if [ -n "${RECORD:-}" ]; then
    group=0
    while read -r line; do
        group=$((group + 1))
        [ ! -e "$work/$group.left" ] && ! grep -Eq '^([1-9][0-9]*) \1 ' "$work/$group" || printf '%s\n' "$line"
    done <"$work/proved.txt" >"$work/recorded.txt"
    cp "$work/recorded.txt" "$here/proved.txt"
fi
exit "$failed"
