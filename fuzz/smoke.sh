#!/bin/sh
# `make fuzz-smoke`: every target for FUZZ_SECONDS (30), from its committed corpus, one target a processor.  Prints what each did;
# exits non-zero on a finding, whose input is then in the working folder that the message names.
set -u
here=$(cd "$(dirname "$0")" && pwd)
seconds=${FUZZ_SECONDS:-30}

if [ "${1:-}" = --one ]; then # --one WORK TARGET
    work=$2
    target=$3
    mkdir -p "$work/corpus-$target"
    dictionary=$here/${target#fuzz_}.dict
    [ -f "$dictionary" ] && dictionary=-dict=$dictionary || dictionary=
    if "$work/$target" $dictionary -max_len=8192 -timeout=60 -rss_limit_mb=2048 -max_total_time="$seconds" \
        -print_final_stats=1 -artifact_prefix="$work/$target-" "$work/corpus-$target" "$here/corpus/$target" \
        >"$work/$target.log" 2>&1; then
        result=ok
    else
        result="FINDING: $(grep -h -E '^(finding:|SUMMARY:|==[0-9]+== ERROR)' "$work/$target.log" | head -n 1)"
    fi
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$target.log")
    rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$work/$target.log")
    edges=$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' "$work/$target.log" | tail -n 1)
    size=$(ls "$work/corpus-$target" | wc -l)
    printf '%-18s %12s %10s %8s %8s  %s\n' "$target" "${executions:-?}" "${rate:-?}" "${edges:-?}" "$size" "$result"
    [ "$result" = ok ] && touch "$work/$target.passed"
    exit
fi

targets=${TARGETS:-fuzz_safetensors fuzz_npy fuzz_npz fuzz_dump fuzz_shards fuzz_manifest fuzz_rates fuzz_stream fuzz_prompt fuzz_verdicts fuzz_ops}
work=${FUZZ_WORK:-$(mktemp -d)}
mkdir -p "$work"
export TARGETS="$targets"
if ! sh "$here/build.sh" fuzz "$work" >"$work/build.log" 2>&1; then
    tail -n 20 "$work/build.log" >&2
    echo "fuzz-smoke: the targets could not be built (clang with libFuzzer is needed: CLANG=...)" >&2
    exit 1
fi
rm -f "$work"/*.passed
printf '%-18s %12s %10s %8s %8s  %s\n' target executions exec/s edges corpus result
for target in $targets; do echo "1 sh '$here/smoke.sh' --one '$work' $target"; done | sh "$here/../verify/strength/side_by_side.sh"
failed=0 passed=0
for target in $targets; do
    if [ -e "$work/$target.passed" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
if [ "$failed" -gt 0 ]; then
    echo "fuzz-smoke: the inputs and logs of the findings are in $work"
else
    [ -n "${FUZZ_WORK:-}" ] || rm -rf "$work"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
