#!/bin/sh
# Builds the fuzz targets where OSS-Fuzz looks for them.  It sets CC, CXX, CFLAGS, LIB_FUZZING_ENGINE, SRC and OUT; the targets,
# their seeds, dictionaries and shared libraries go to OUT.  To try it on this machine, at the top of the sources:
#
#   CC=clang CXX=clang++ CFLAGS='-fsanitize=address,fuzzer-no-link' LIB_FUZZING_ENGINE=-fsanitize=fuzzer \
#       SRC=$(dirname "$PWD") OUT=/some/folder sh fuzz/oss-fuzz/build.sh
set -eu
: "${CC:?}" "${CXX:?}" "${CFLAGS:?}" "${LIB_FUZZING_ENGINE:?}" "${OUT:?}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
sh fuzz/build.sh engine "$work"
mkdir -p "$OUT/lib"
for target in "$work"/fuzz_*; do
    [ -x "$target" ] && [ -f "$target" ] || continue
    name=$(basename "$target")
    cp "$target" "$OUT/$name"
    (cd "fuzz/corpus/$name" && zip -q "$OUT/${name}_seed_corpus.zip" ./*)
    dictionary=fuzz/${name#fuzz_}.dict
    [ ! -f "$dictionary" ] || cp "$dictionary" "$OUT/$name.dict"
    # The machine that runs the targets has none of the libraries.
    ldd "$target" | awk '$3 ~ /^\// { print $3 }' | grep -vE '/(libc|libm|libdl|libpthread|librt|libgcc_s)\.so' |
        while read -r library; do cp -n "$library" "$OUT/lib/"; done
done
