#!/bin/sh
# The reference and its cases, built for other machines and run there by qemu's user emulation: the digest of every output and
# gradient must be the published one (core.digest) on each.
#
#   make qemu                    every machine of the table below; ARCHITECTURES='arm64 s390x' fewer
#
# Nothing is installed: the libraries of the other machines are downloaded (apt-get download) and unpacked in a scratch folder,
# with a package list of its own.  SYSROOTS names a folder to keep them in.  Needed are Debian's packages
#   qemu-user gcc-aarch64-linux-gnu gcc-arm-linux-gnueabihf gcc-i686-linux-gnu gcc-s390x-linux-gnu, and what these recommend
#   (libc6-dev-arm64-cross libc6-dev-armhf-cross libc6-dev-i386-cross libc6-dev-s390x-cross)
# which `./bootstrap qemu` installs.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
architectures=${ARCHITECTURES:-arm64 armhf i386 s390x}
packages='libgmp-dev libmpfr-dev libgsl-dev nettle-dev'

describe() { # describe ARCHITECTURE: triplet of the compiler, of the folders, name of the emulator, flags
    case $1 in
    arm64) triplet=aarch64-linux-gnu folders=aarch64-linux-gnu emulator=qemu-aarch64 flags= ;;
    armhf) triplet=arm-linux-gnueabihf folders=arm-linux-gnueabihf emulator=qemu-arm flags= ;;
    # The 80-bit registers of i387 round twice: configure refuses them, and the instructions of SSE2 have to be asked for.
    i386) triplet=i686-linux-gnu folders=i386-linux-gnu emulator=qemu-i386 flags='-msse2 -mfpmath=sse' ;;
    s390x) triplet=s390x-linux-gnu folders=s390x-linux-gnu emulator=qemu-s390x flags= ;;
    *) echo "qemu: $1: expected arm64, armhf, i386 or s390x" >&2; exit 2 ;;
    esac
}

if [ "${1:-}" = --one ]; then # --one ARCHITECTURE SYSROOT PROGRAM FLAGS...: builds and runs; PROGRAM.digest, .machine, .seconds
    describe "$2"
    sysroot=$3
    program=$4
    shift 4
    "$triplet-gcc" -std=c11 -D_GNU_SOURCE -O2 $flags "$@" -I"$root/ref" -I"$root/verify/oracle" -I"$sysroot/usr/include" \
        -I"$sysroot/usr/include/$folders" "$root"/ref/*.c "$root"/verify/oracle/registry.c "$root"/verify/oracle/op_*.c \
        "$root"/verify/strength/bits.c -o "$program" -static -L"$sysroot/usr/lib/$folders" \
        -lgsl -lgslcblas -lnettle -lmpfr -lgmp -lm || exit 1
    "$emulator" "$program" --machine >"$program.machine" || exit 1
    started=$(date +%s)
    "$emulator" "$program" >"$program.digest" || exit 1
    echo $(($(date +%s) - started)) >"$program.seconds"
    exit
fi

missing=
for architecture in $architectures; do
    describe "$architecture"
    for program in "$triplet-gcc" "$emulator"; do
        command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
    done
done
if [ -n "$missing" ]; then
    echo "qemu: not found:$missing (run ./bootstrap qemu, which installs Debian's packages)" >&2
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
sysroots=${SYSROOTS:-$work/sysroots}

# An apt of its own, which knows one machine and writes nothing outside of its folder.
fetch() { # fetch ARCHITECTURE FOLDER
    apt=$work/apt-$1
    mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" "$apt/packages" "$2" || return 1
    : >"$apt/status"
    (
        cd "$apt/packages" || exit 1
        set -- "$1" -qq -o APT::Architecture="$1" -o APT::Architectures="$1" -o APT::Sandbox::User= -o Dir::State="$apt/state" \
            -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" -o Acquire::Languages=none
        shift
        apt-get "$@" update || : # a list that is missing matters only where a package is then not found
        apt-get "$@" download $packages
    ) || return 1
    for package in "$apt"/packages/*.deb; do dpkg -x "$package" "$2.part" || return 1; done
    rm -rf "$2" "$apt"
    mv "$2.part" "$2"
}

: >"$work/lines"
for architecture in $architectures; do
    if [ ! -e "$sysroots/$architecture/usr/include/mpfr.h" ] && ! fetch "$architecture" "$sysroots/$architecture" >"$work/log" 2>&1; then
        cat "$work/log" >&2
        echo "qemu: $architecture: the packages $packages could not be fetched" >&2
        exit 1
    fi
    echo "1 sh '$here/qemu.sh' --one $architecture '$sysroots/$architecture' '$work/$architecture' -ffp-contract=off" >>"$work/lines"
done
# The control: on a machine whose compiler contracts, a build that may must not get away with it.
control=
case " $architectures " in *' arm64 '*) control=arm64 ;; *' s390x '*) control=s390x ;; esac
[ -z "$control" ] ||
    echo "1 sh '$here/qemu.sh' --one $control '$sysroots/$control' '$work/control' -ffp-contract=fast 2>/dev/null || :" >>"$work/lines"
failed=0
sh "$here/side_by_side.sh" <"$work/lines" || failed=1

published=$(cat "$here/core.digest")
for architecture in $architectures; do
    digest=$(tail -n 1 "$work/$architecture.digest" 2>/dev/null)
    printf '%-6s %s\n       %s, in %s s\n' "$architecture" "$(cat "$work/$architecture.machine" 2>/dev/null)" "${digest:-no digest}" \
        "$(cat "$work/$architecture.seconds" 2>/dev/null || echo ?)"
    if [ "$digest" != "$published" ]; then
        echo "qemu: $architecture: this is not the published digest, $published" >&2
        failed=1
    fi
done
if [ -n "$control" ]; then
    if [ ! -e "$work/control" ]; then
        echo "qemu: the negative control could not be built" >&2
        failed=1
    elif [ "$(tail -n 1 "$work/control.digest" 2>/dev/null)" = "$published" ]; then
        echo "qemu: the negative control (contraction on, $control) was not noticed" >&2
        failed=1
    else
        echo "negative control (-ffp-contract=fast, $control): refused or different, as it must be"
    fi
fi
[ "$failed" -eq 0 ] && echo 'qemu: one digest, the published one'
exit "$failed"
