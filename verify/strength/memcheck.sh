#!/bin/sh
# Valgrind's memcheck over the test programs: any invalid access, use of an undefined value or leak is an error, and so is a
# test that fails.  Each test runs in a process of its own, which Valgrind follows.
#   make memcheck
#
# SMOE_TEST_LIGHT asks the tests for fewer draws of the same kinds: everything is thirty times slower here, and so may a test be
# (CK_TIMEOUT_MULTIPLIER, for those that set a timeout of their own).
set -u
here=$(cd "$(dirname "$0")" && pwd)
if ! command -v valgrind >/dev/null 2>&1; then
    echo 'memcheck: valgrind is not installed' >&2
    exit 1
fi
if [ "${1:-}" != --one ]; then
    for test in "$@"; do
        echo "$(wc -c <"$here/../../$test.c") sh '$here/memcheck.sh' --one $test" # the longer the source, the longer the run
    done | sh "$here/side_by_side.sh"
    exit
fi
test=$2
started=$(date +%s)
if SMOE_TEST_LIGHT=1 CK_DEFAULT_TIMEOUT=0 CK_TIMEOUT_MULTIPLIER=30 CK_VERBOSITY=normal CK_TAP_LOG_FILE_NAME=/dev/null \
    ./libtool --mode=execute valgrind --quiet --error-exitcode=1 --leak-check=full \
    --errors-for-leak-kinds=definite,indirect "$test" >"$test.memcheck" 2>&1; then
    printf 'memcheck: %-28s clean (%s s)\n' "$test" "$(($(date +%s) - started))"
    status=0
else
    printf 'memcheck: %-28s FAILED\n' "$test"
    tail -n 30 "$test.memcheck" >&2
    status=1
fi
rm -f "$test.memcheck"
exit "$status"
