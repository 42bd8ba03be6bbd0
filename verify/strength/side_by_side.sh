#!/bin/sh
# Runs independent commands, one a processor (JOBS of the environment: that many), and shows what each prints in the order in
# which they were given, as if one had run after another.
#
#   side_by_side.sh <LINES      each line is WEIGHT COMMAND; the heaviest start first, so that none is left alone at the end
#
# Exit status 1 if a command failed.
set -u
work=$(mktemp -d)
trap 'kill "$pool" 2>/dev/null; wait; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
pool=
n=0
while read -r weight command; do
    n=$((n + 1))
    printf '%s\n' "$command" >"$work/$n.sh"
    echo "$weight $n"
done >"$work/lines"
sort -k1,1rn -k2,2n "$work/lines" | cut -d' ' -f2 >"$work/order"
# A command's output is whole when its status is there under that name.
xargs -P "${JOBS:-$(nproc 2>/dev/null || echo 1)}" -n 1 sh -c 'cd "$0" || exit 1
    (cd "$1" && exec sh "$0/$2.sh") >"$2.out" 2>"$2.err" </dev/null; echo $? >"$2.part"; mv "$2.part" "$2.status"' \
    "$work" "$PWD" <"$work/order" &
pool=$!
failed=0
i=0
while [ "$i" -lt "$n" ]; do
    i=$((i + 1))
    while [ ! -e "$work/$i.status" ]; do
        kill -0 "$pool" 2>/dev/null || [ -e "$work/$i.status" ] || { echo "side_by_side: $(cat "$work/$i.sh"): it never ended" >&2; exit 1; }
        sleep 0.1
    done
    cat "$work/$i.out"
    cat "$work/$i.err" >&2
    [ "$(cat "$work/$i.status")" = 0 ] || failed=1
done
wait "$pool" || failed=1
exit "$failed"
