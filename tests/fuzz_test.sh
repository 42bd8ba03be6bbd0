#!/bin/sh
# Replays the committed corpora through the fuzz targets, built with the sanitizers but without a fuzzing engine.  Prints TAP.
set -u
targets='fuzz_safetensors fuzz_npy fuzz_npz fuzz_dump fuzz_shards fuzz_manifest fuzz_rates fuzz_stream fuzz_prompt fuzz_verdicts fuzz_ops'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
echo 1..11
n=0
for target in $targets; do
    n=$((n + 1))
    if [ "$n" -eq 1 ] && ! sh "$top_srcdir/fuzz/build.sh" replay "$work" >"$work/log" 2>&1; then
        sed 's/^/# /' "$work/log" | tail -n 20
    fi
    if [ -x "$work/$target" ] && "$work/$target" "$top_srcdir/fuzz/corpus/$target"/* >"$work/log" 2>&1; then
        echo "ok $n - $target replays $(ls "$top_srcdir/fuzz/corpus/$target" | wc -l) inputs"
    else
        echo "not ok $n - $target"
        sed 's/^/# /' "$work/log" | tail -n 20
    fi
done
