#!/bin/sh
# Every table that the specification says a command prints is what the command prints: spec/06 and 07 against `make facts`.
# Prints TAP.  top_srcdir, top_builddir: where the sources and the programs are.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
build=${top_builddir:-.}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# tables FILE: its Markdown tables, a line each.
tables() {
    awk '/^\|/ { row = row $0; next } row != "" { print row; row = "" } END { if (row != "") print row }' "$1"
}

# missing PRINTED CHAPTER: the tables of the first that are not in the second.
missing() {
    tables "$2" >"$work/chapter"
    tables "$1" | grep -Fxv -f "$work/chapter"
}

echo 1..6
n=0
for pair in similarity:06-similarity:6 simsmoe:07-simsmoe:3; do
    name=${pair%%:*}
    chapter=${pair#*:}
    count=${chapter#*:}
    chapter=$top/spec/${chapter%:*}.md
    n=$((n + 1))
    if "$build/verify/strength/${name}_facts" >"$work/$name" && [ "$(tables "$work/$name" | wc -l)" -eq "$count" ]; then
        echo "ok $n - ${name}_facts prints $count tables"
    else
        echo "not ok $n - ${name}_facts prints $count tables"
    fi
    n=$((n + 1))
    if missing "$work/$name" "$chapter" >"$work/log"; then
        echo "not ok $n - the tables of ${name}_facts stand in the specification"
        sed 's/^/# printed, but not there: /' "$work/log"
    else
        echo "ok $n - the tables of ${name}_facts stand in the specification"
    fi
    # the negative control: a chapter with one digit changed
    n=$((n + 1))
    sed '/^|.*[0-9] |$/s/1/2/' "$chapter" >"$work/wrong"
    if missing "$work/$name" "$work/wrong" >/dev/null; then
        echo "ok $n - another digit in the specification is seen"
    else
        echo "not ok $n - another digit in the specification is seen"
    fi
done
