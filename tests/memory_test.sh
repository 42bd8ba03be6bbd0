#!/bin/sh
# The tests of the chapters with AddressSanitizer in libsmoeref: nothing is read or written past an end, that of one number on the
# stack included.  Prints TAP.  CC_GCC: a gcc with its libasan.
set -u
cc=${CC_GCC:-gcc}
top=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "${top_builddir:-.}" && pwd)
runtime=$("$cc" -print-file-name=libasan.so 2>/dev/null)
case $runtime in
/*) ;;
*)
    echo "1..0 # SKIP $cc has no AddressSanitizer"
    exit 0
    ;;
esac
if [ ! -x "$build/tests/.libs/check_refusals" ]; then
    echo '1..0 # SKIP the tests are not linked with the shared library'
    exit 0
fi
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
. "$(dirname "$0")/tap.sh"
tests='expert gate gate_noisy gate_cosine layer capacity diagnostics balance balance_aux compete compete_step similarity simsmoe refusals'
echo "1..$(($(echo $tests | wc -w) + 2))"

compile() { # compile SOURCE OBJECT
    "$cc" -std=c11 -ffp-contract=off -fPIC -O1 -g -fsanitize=address -DHAVE_CONFIG_H -I"$build" -I"$top/ref" -c "$1" -o "$2"
}
library() { # library FOLDER: of the objects there
    "$cc" -shared -fsanitize=address -Wl,-soname,libsmoeref.so.0 -o "$1/libsmoeref.so.0" "$1"/*.o -lmpfr -lm
}
run() { # run FOLDER TEST
    env -u CK_TAP_LOG_FILE_NAME LD_PRELOAD="$runtime" LD_LIBRARY_PATH="$1" ASAN_OPTIONS=detect_leaks=0 CK_TIMEOUT_MULTIPLIER=10 \
        CK_VERBOSITY=normal "$build/tests/.libs/check_$2" >"$work/log" 2>&1
}

mkdir "$work/right" "$work/spoilt" || exit 1
for source in "$top"/ref/*.c; do
    compile "$source" "$work/right/$(basename "$source" .c).o" || exit 1
done
cp "$work/right"/*.o "$work/spoilt" && library "$work/right" || exit 1
for test in $tests; do
    run "$work/right" "$test"
    point $? "check_$test reads and writes within the arrays"
done

control() { # control SED TEST WHAT DESCRIPTION: WHAT is reported of balance.c so changed
    sed "$1" "$top/ref/balance.c" >"$work/balance.c"
    compile "$work/balance.c" "$work/spoilt/balance.o" && library "$work/spoilt" || exit 1
    run "$work/spoilt" "$2"
    [ $? -ne 0 ] && grep -q "AddressSanitizer: $3" "$work/log"
    point $? "$4"
}
control 's/smoe_all_finite(1, &epsilon)/smoe_all_finite(2, \&epsilon)/' balance_aux stack-buffer-overflow \
    'a control that reads two numbers where there is one is noticed'
control 's/if (!smoe_all_finite(N, v) ||/if (v[N] == 0x1p-99 || !smoe_all_finite(N, v) ||/' refusals use-after-poison \
    'a control that reads a number beyond an array is noticed'
