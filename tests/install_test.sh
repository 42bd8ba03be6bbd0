#!/bin/sh
# `make install` into a staging folder, then a program that knows smoeref only through pkg-config.  Prints TAP.
set -u
echo 1..4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
n=0
point() { # point STATUS DESCRIPTION
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; sed 's/^/# /' "$work/log" | tail -n 20; fi
}

(cd "$top_builddir" && $MAKE -s install DESTDIR="$work/stage") >"$work/log" 2>&1
point $? 'make install DESTDIR=...'

pc=$(find "$work/stage" -name smoeref.pc)
dir=$(dirname "$pc")
export PKG_CONFIG_PATH="$dir" PKG_CONFIG_SYSROOT_DIR="$work/stage"
cat >"$work/user.c" <<'C'
#include <smoeref/balance.h>
#include <smoeref/numerics.h>
#include <stdio.h>
int main(void)
{
    double z[2] = {0.0, 0.0}, p[2];
    const char *what = "";
    if (smoe_selftest(&what) != SMOE_OK) return puts(what), 1;
    if (smoe_softmax(2, z, p) != SMOE_OK) return 1;
    return !(p[0] == 0.5 && p[1] == 0.5);
}
C
${CC:-cc} -std=c11 "$work/user.c" -o "$work/user" $(${PKG_CONFIG:-pkg-config} --cflags --libs smoeref) >"$work/log" 2>&1
point $? 'a program builds against pkg-config smoeref'
LD_LIBRARY_PATH="$(dirname "$(find "$work/stage" -name 'libsmoeref.so' | head -n 1)")" "$work/user" >"$work/log" 2>&1
point $? 'and runs'
find "$work/stage" -name smoeref.1 >"$work/log" 2>&1 && [ -s "$work/log" ]
point $? 'the man page is installed'
