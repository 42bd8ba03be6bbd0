#!/bin/sh
# Builds the fuzz targets into a folder.
#
#   build.sh fuzz DIR      with clang (CLANG) and libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer
#   build.sh replay DIR    with any compiler (CC) and the sanitizers: programs that run the files they are given
#   build.sh plain DIR     the same without sanitizers, for Valgrind
#   build.sh engine DIR    with the compilers, flags and engine that CC, CXX, CFLAGS and LIB_FUZZING_ENGINE name, as OSS-Fuzz does
#
# TARGETS names fewer than all; COVERAGE=1 adds clang's coverage to the targets of `fuzz` (see README.md).
set -eu
mode=${1:?fuzz, replay, plain or engine} out=${2:?a folder}
here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
pkg_config=${PKG_CONFIG:-pkg-config}
targets=${TARGETS:-fuzz_safetensors fuzz_npy fuzz_npz fuzz_dump fuzz_shards fuzz_manifest fuzz_rates fuzz_stream fuzz_prompt fuzz_verdicts fuzz_ops}
mkdir -p "$out"

flags="-std=c11 -D_GNU_SOURCE -g -O1 -fno-omit-frame-pointer -ffp-contract=off -Wall -Wextra"
flags="$flags -I$top/ref -I$top/verify/oracle -I$top/verify/enclosure -I$here"
flags="$flags $($pkg_config --cflags jansson libzip nettle gsl mpfr)"
sanitize="-fsanitize=address,undefined -fno-sanitize-recover=all"
engine=
case $mode in
fuzz)
    cc=${CLANG:-clang}
    flags="$flags -DFUZZ_ENGINE"
    engine=-fsanitize=fuzzer
    objects="$sanitize -fsanitize=fuzzer-no-link" ;;
replay) cc=${CC:-cc} objects=$sanitize ;;
plain) cc=${CC:-cc} objects= ;;
engine)
    cc=${CC:?} objects=${CFLAGS:?} engine="${LIB_FUZZING_ENGINE:?} -Wl,-rpath,\$ORIGIN/lib" link=${CXX:?}
    flags="$flags -DFUZZ_ENGINE" ;;
*) echo "build.sh: $mode: expected fuzz, replay, plain or engine" >&2; exit 2 ;;
esac
[ -z "${COVERAGE:-}" ] || objects="$objects -fprofile-instr-generate -fcoverage-mapping"
cc=${cc%% *} # a compiler's name, without the flags that configure may have put behind it

# Arb is a library of its own in Debian 12 and a part of FLINT from FLINT 3 on.
arb=
for libs in "-lflint-arb -lflint" "-larb -lflint" "-lflint"; do
    if echo 'int arb_dot(void); int main(void) { return arb_dot(); }' |
        $cc -x c -w - -o "$out/try" $libs -lmpfr -lgmp -lm 2>/dev/null; then
        arb="$libs -lmpfr -lgmp"
        break
    fi
done
rm -f "$out/try"
if echo '#include <flint/arb.h>' | $cc -x c -fsyntax-only - 2>/dev/null; then flags="$flags -DHAVE_FLINT_ARB_H=1"; fi

compile() { # sources...: objects into $out, their names into $made
    made=
    for source in "$@"; do
        object=$out/$(basename "$source" .c).o
        made="$made $object"
        echo "$(wc -c <"$source") $cc $flags $objects -c '$source' -o '$object'"
    done >"$out/lines"
    sh "$top/verify/strength/side_by_side.sh" <"$out/lines"
    rm -f "$out/lines"
}

compile "$top/verify/oracle/tensorfile.c" "$top/verify/oracle/safetensors.c" "$top/verify/oracle/npy.c" \
    "$top/verify/oracle/dump.c" "$top/verify/oracle/shards.c" "$top/verify/oracle/manifest.c" \
    "$top/verify/oracle/roundoff.c" "$top/verify/enclosure/twin_profiles.c"
formats=$made
engine_object=
if [ "$mode" = replay ] || [ "$mode" = plain ]; then
    compile "$here/replay.c"
    engine_object=$made
fi
case " $targets " in *" fuzz_ops "* | *" fuzz_prompt "* | *" fuzz_rates "* | *" fuzz_verdicts "*)
    twin=$(ls "$top"/verify/enclosure/*.c | grep -v /twin_profiles.c)
    compile "$top"/ref/*.c $twin "$top/verify/oracle/registry.c" "$top/verify/oracle/prompt.c" \
        "$top"/verify/oracle/op_*.c
    operations=$made ;;
esac
for target in $targets; do
    more= libs=
    case $target in
    fuzz_ops) more=$here/domains.c ;;
    fuzz_stream) more=$top/verify/oracle/stream.c ;;
    fuzz_verdicts) more="$top/verify/oracle/verdict_store.c $top/verify/oracle/verdict.c $top/verify/oracle/diagnose.c $top/verify/oracle/diagnose_pairs.c
        $top/verify/oracle/tensorview.c" ;;
    fuzz_rates) more="$top/verify/oracle/rates_plan.c $top/verify/oracle/rates_store.c $top/verify/oracle/rates_report.c
        $top/verify/oracle/convergence_fit.c" ;;
    esac
    compile "$here/$target.c" $more
    case $target in fuzz_ops | fuzz_prompt | fuzz_rates | fuzz_verdicts)
        made="$made $operations"
        libs="$($pkg_config --libs gsl) $arb" ;;
    esac
    ${link:-$cc} $objects $engine $made $engine_object $formats -o "$out/$target" $libs \
        $($pkg_config --libs jansson libzip nettle mpfr) -lm
done
