#!/bin/sh
# Builds the reference and its cases with different compilers, optimizations and instruction sets, and compares the digests
# of every output and gradient.  One digest, and the published one (core.digest), or it fails.
#
#   make bits                 (CC and CLANG are read from the environment: gcc, clang)
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
cc=${CC_GCC:-gcc}
clang=${CLANG:-clang}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
libs="$(pkg-config --libs gsl nettle mpfr) -lm"
sources=$(printf '%s ' "$root"/ref/*.c "$root"/verify/oracle/registry.c "$root"/verify/oracle/op_*.c "$root"/verify/strength/bits.c)
policy="-std=c11 -ffp-contract=off -D_GNU_SOURCE -I$root/ref -I$root/verify/oracle"
failed=0
first=

digest() { # digest LABEL COMPILER FLAGS...
    label=$1
    compiler=$2
    shift 2
    if ! command -v "$compiler" >/dev/null 2>&1; then
        echo "bits: $compiler is not installed" >&2
        failed=1
        return
    fi
    if ! "$compiler" $policy "$@" $sources -o "$work/bits" $libs 2>"$work/errors"; then
        cat "$work/errors" >&2
        failed=1
        return
    fi
    if ! got=$(env $tunables "$work/bits"); then
        failed=1
        return
    fi
    printf '%-58s %s\n' "$label" "$(printf '%s\n' "$got" | tail -n 1)"
    if [ -z "$first" ]; then
        first=$got
    elif [ "$got" != "$first" ]; then
        echo "bits: $label differs:" >&2
        printf '%s\n' "$first" >"$work/a"
        printf '%s\n' "$got" >"$work/b"
        diff "$work/a" "$work/b" >&2 || :
        failed=1
    fi
}

tunables=
digest 'gcc -O0' "$cc" -O0
digest 'gcc -O3' "$cc" -O3
digest 'gcc -O3 -march=native' "$cc" -O3 -march=native
digest 'clang -O2' "$clang" -O2
digest 'clang -O3 -march=native' "$clang" -O3 -march=native
tunables='GLIBC_TUNABLES=glibc.cpu.hwcaps=-FMA,-FMA4,-AVX,-AVX2,-AVX512F,-AVX_Fast_Unaligned_Load,-AVX2_Usable,-FMA_Usable'
digest 'gcc -O2, no FMA hardware (portable kernel, software fma)' "$cc" -O2 -DSMOE_PORTABLE_KERNEL
tunables=
# The control: a build that contracts must not get away with it.
if "$cc" -std=c11 -ffp-contract=fast -march=haswell -O3 -D_GNU_SOURCE -I"$root/ref" -I"$root/verify/oracle" $sources \
    -o "$work/bits" $libs 2>/dev/null && got=$("$work/bits" 2>/dev/null) && [ "$got" = "$first" ]; then
    echo 'bits: the negative control (contraction on) was not noticed' >&2
    failed=1
else
    echo 'negative control (-ffp-contract=fast -march=haswell): refused or different, as it must be'
fi
published=$(cat "$root/verify/strength/core.digest" 2>/dev/null || :)
if [ "$(printf '%s\n' "$first" | tail -n 1)" != "$published" ]; then
    echo "bits: the published digest is ${published:-absent}; a change of bits goes into CHANGELOG.md with its reason, and into core.digest" >&2
    failed=1
fi
[ "$failed" -eq 0 ] && echo 'bits: one digest, the published one'
exit "$failed"
