#!/bin/sh
# Which lines and branches of ref/ the unit tests run: a build apart with gcc's counters, then lcov.
#
#   make coverage             (or: sh verify/strength/coverage.sh [HTML-FOLDER])
#
# Every line must be run, but for those that coverage.floor excuses, with the reason; a file whose share of branches falls below its line
# in coverage.floor fails as well, and so does one that has no line there.  With a folder, lcov's pages are written to it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cc=${CC_GCC:-gcc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
for tool in lcov genhtml "$cc"; do
    command -v "$tool" >/dev/null 2>&1 || { echo "coverage: $tool is not installed" >&2; exit 1; }
done
[ -e "$root/config.h" ] || { echo 'coverage: run ./configure first' >&2; exit 1; }

if [ -e "$root/tests/watched.awk" ]; then (cd "$root" && awk -f tests/watched.awk ref/*.h) >"$work/watched.h"; fi
tests=$(cd "$root/tests" && ls check_*.c | sed 's/\.c$//')
{
    printf 'FLAGS = -std=c11 -ffp-contract=off -O0 -g -D_GNU_SOURCE -DHAVE_CONFIG_H'
    printf ' -I%s' "$work" "$root" "$root/ref" "$root/verify/oracle" "$root/verify/enclosure"
    printf '\nLIBS = -Wl,-rpath,%s %s\n' "$work" "$(pkg-config --libs check gsl jansson libzip nettle mpfr) $(sed -n 's/^S\["ARB_LIBS"\]="\(.*\)"$/\1/p' \
        "$root/config.status") -lm"
    printf 'all:'; for t in $tests; do printf ' %s' "$t"; done; printf '\n'
    objects=
    for source in "$root"/ref/*.c; do
        object=ref_$(basename "$source" .c).o
        objects="$objects $object"
        printf '%s: %s\n\t%s $(FLAGS) -fPIC --coverage -c -o $@ $<\n' "$object" "$source" "$cc"
    done
    # Shared, since tests/check_refusals.c stands between it and its callers.
    printf 'libref.so: %s\n\t%s -shared --coverage -o $@ $^ %s -lm\n' "$objects" "$cc" "$(pkg-config --libs mpfr)"
    objects=
    for source in $(cd "$root" && sed -n '/^libverify_la_SOURCES/,/[^\\]$/p' Makefile.am | tr ' \\' '\n\n' | grep '\.c$'); do
        object=$(echo "$source" | tr / _).o
        objects="$objects $object"
        printf '%s: %s\n\t%s $(FLAGS) -O1 -c -o $@ $<\n' "$object" "$root/$source" "$cc"
    done
    objects="$objects libref.so" # last: it is needed by what stands before it
    for t in $tests; do
        more=$(sed -n "s|^tests_${t}_SOURCES = tests/$t.c||p" "$root/Makefile.am" | tr ' ' '\n' | sed -n "s|..*\.c\$| $root/&|p" | tr -d '\n')
        link=$(sed -n "s/^tests_${t}_LDFLAGS *= *//p" "$root/Makefile.am" | sed 's/-export-dynamic/-rdynamic/')
        printf '%s: %s%s%s\n\t%s $(FLAGS) --coverage -o $@ $^ %s $(LIBS)\n' "$t" "$root/tests/$t.c" "$more" "$objects" "$cc" "$link"
    done
} >"$work/Makefile"
if ! make -C "$work" -j"$(nproc)" >"$work/log" 2>&1; then
    tail -n 20 "$work/log" >&2
    exit 1
fi
for t in $tests; do # the counters' files are locked while they are added to
    echo "$(wc -c <"$root/tests/$t.c") cd '$work' && top_srcdir='$root' CK_VERBOSITY=silent ./$t >$t.log 2>&1 || { echo 'coverage: $t fails' >&2; exit 1; }"
done | sh "$here/side_by_side.sh"
lcov --quiet --rc lcov_branch_coverage=1 --capture --directory "$work" --gcov-tool "${GCOV:-gcov}" --no-external \
    --base-directory "$root" --output-file "$work/all.info" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
lcov --quiet --rc lcov_branch_coverage=1 --extract "$work/all.info" "$root/ref/*.c" --output-file "$work/ref.info" 2>>"$work/log"
[ $# -eq 0 ] || genhtml --quiet --branch-coverage --output-directory "$1" "$work/ref.info"

awk -v floors="$root/verify/strength/coverage.floor" -v root="$root" '
    BEGIN {
        while ((getline line < floors) > 0)
            if (line ~ /^unrun /) { sub(/^unrun /, "", line); excuse[++excuses] = line }
            else if (line !~ /^#/ && split(line, f, " ") == 2) floor_of[f[1]] = f[2]
    }
    function source(file, number,    path, text, i) {
        path = root "/ref/" file
        for (i = 0; i < number && (getline text < path) > 0; i++) {}
        close(path)
        return text
    }
    function excused(file, number,    i, name) {
        for (i = 1; i <= excuses; i++) {
            name = excuse[i]
            sub(/ .*/, "", name)
            if (name == file && index(source(file, number), substr(excuse[i], length(name) + 2))) return used[i] = 1
        }
        return 0
    }
    /^SF:/ { file = $0; sub(/.*\//, "", file) }
    /^DA:/ {
        split(substr($0, 4), d, ",")
        if (d[2] == 0 && !excused(file, d[1])) missed = missed "ref/" file ":" d[1] ": never run\n"
    }
    /^LF:/ { lines = substr($0, 4) }
    /^LH:/ { run = substr($0, 4) }
    /^BRF:/ { branches = substr($0, 5) }
    /^BRH:/ { taken = substr($0, 5) }
    /^end_of_record/ {
        share = branches > 0 ? 100 * taken / branches : 100
        printf "coverage: ref/%-14s lines %4d of %4d, branches %4d of %4d (%.1f %%)\n", file, run, lines, taken, branches, share
        if (!(file in floor_of)) missed = missed "ref/" file ": no line in verify/strength/coverage.floor\n"
        else if (share < floor_of[file]) missed = missed "ref/" file ": branches below " floor_of[file] " %\n"
        all += lines; all_run += run; files++
    }
    END {
        for (i = 1; i <= excuses; i++) if (!used[i]) missed = missed "excused, but run: " excuse[i] "\n"
        printf "%s", missed > "/dev/stderr"
        printf "coverage: %d files, %d of %d lines, %d excused\n", files, all_run, all, excuses
        exit missed != "" || files == 0
    }' "$work/ref.info"
