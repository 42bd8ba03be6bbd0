#!/bin/sh
# Builds the reference and its cases with different compilers, optimizations and instruction sets, and compares the digests
# of every output and gradient.  One digest, and the published one (core.digest), or it fails.
#
#   make bits                 (CC_GCC and CLANG are read from the environment: gcc, clang)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cc=${CC_GCC:-gcc}
clang=${CLANG:-clang}

if [ "${1:-}" = --one ]; then # --one PROGRAM TUNABLES COMPILER FLAGS...: builds and runs; the digests go to PROGRAM.digest
    program=$2
    tunables=$3
    compiler=$4
    shift 4
    command -v "$compiler" >/dev/null 2>&1 || { echo "bits: $compiler is not installed" >&2; exit 1; }
    "$compiler" -std=c11 -D_GNU_SOURCE -I"$root/ref" -I"$root/verify/oracle" "$@" "$root"/ref/*.c "$root"/verify/oracle/registry.c \
        "$root"/verify/oracle/op_*.c "$root"/verify/strength/bits.c -o "$program" $(pkg-config --libs gsl nettle mpfr) -lm
    exec env $tunables "$program" >"$program.digest"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
failed=0
: >"$work/builds"
: >"$work/lines"

build() { # build LABEL TUNABLES COMPILER FLAGS...
    n=$(($(wc -l <"$work/builds") + 1))
    echo "$1" >>"$work/builds"
    tunables=$2
    shift 2
    echo "1 sh '$here/bits.sh' --one '$work/$n' '$tunables' $*" >>"$work/lines"
}

build 'gcc -O0' '' "$cc" -ffp-contract=off -O0
build 'gcc -O3' '' "$cc" -ffp-contract=off -O3
build 'gcc -O3 -march=native' '' "$cc" -ffp-contract=off -O3 -march=native
build 'clang -O2' '' "$clang" -ffp-contract=off -O2
build 'clang -O3 -march=native' '' "$clang" -ffp-contract=off -O3 -march=native
build 'gcc -O2, no FMA hardware (portable kernel, software fma)' \
    'GLIBC_TUNABLES=glibc.cpu.hwcaps=-FMA,-FMA4,-AVX,-AVX2,-AVX512F,-AVX_Fast_Unaligned_Load,-AVX2_Usable,-FMA_Usable' \
    "$cc" -ffp-contract=off -O2 -DSMOE_PORTABLE_KERNEL
# The control: a build that contracts must not get away with it.
echo "1 sh '$here/bits.sh' --one '$work/control' '' $cc -ffp-contract=fast -march=haswell -O3 2>/dev/null || :" >>"$work/lines"
sh "$here/side_by_side.sh" <"$work/lines" || failed=1

n=0
while read -r label; do
    n=$((n + 1))
    [ -s "$work/$n.digest" ] || { echo "bits: $label: no digest" >&2; failed=1; continue; }
    printf '%-58s %s\n' "$label" "$(tail -n 1 "$work/$n.digest")"
    if ! cmp -s "$work/1.digest" "$work/$n.digest"; then
        echo "bits: $label differs:" >&2
        diff "$work/1.digest" "$work/$n.digest" >&2 || :
        failed=1
    fi
done <"$work/builds"
if cmp -s "$work/1.digest" "$work/control.digest"; then
    echo 'bits: the negative control (contraction on) was not noticed' >&2
    failed=1
else
    echo 'negative control (-ffp-contract=fast -march=haswell): refused or different, as it must be'
fi
published=$(cat "$root/verify/strength/core.digest" 2>/dev/null || :)
if [ "$(tail -n 1 "$work/1.digest")" != "$published" ]; then
    echo "bits: the published digest is ${published:-absent}; a change of bits goes into CHANGELOG.md with its reason, and into core.digest" >&2
    failed=1
fi
[ "$failed" -eq 0 ] && echo 'bits: one digest, the published one'
exit "$failed"
