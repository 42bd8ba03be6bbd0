#!/bin/sh
# `make install` into a staging folder, then a program that knows smoeref only through pkg-config.  Prints TAP.
set -u
echo 1..11
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
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
LD_LIBRARY_PATH=$(dirname "$(find "$work/stage" -name 'libsmoeref.so' | head -n 1)")
export LD_LIBRARY_PATH
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
"$work/user" >"$work/log" 2>&1
point $? 'and runs'
find "$work/stage" -name smoeref.1 >"$work/log" 2>&1 && [ -s "$work/log" ]
point $? 'the man page is installed'

# --- libsmoeverify: a test of one's own, linked ----------------------------------------------------------------
clients=$(cd "$(dirname "$0")/../verify/clients" && pwd)
warnings='-Wall -Wextra -Wconversion -Wshadow -pedantic -Werror'
verify=$(${PKG_CONFIG:-pkg-config} --cflags --libs smoeverify)
# shellcheck disable=SC2086
${CC:-cc} -std=c11 $warnings "$clients/c/judge.c" -o "$work/judge" $verify -lm >"$work/log" 2>&1
point $? 'a test in C builds against pkg-config smoeverify'
"$work/judge" f32 >"$work/log" 2>&1 && grep -q '^[1-9][0-9]* passed, 0 failed' "$work/log"
point $? 'and a right function passes'
"$work/judge" f32 wrong >"$work/log" 2>&1
[ $? -eq 1 ] && grep -q 'd_r: golden times 1/2' "$work/log"
point $? 'a wrong one fails, and it is said in what'
"$work/judge" f64 >"$work/log" 2>&1
[ $? -eq 1 ]
point $? 'and so does one in float where double was promised'
cat >"$work/misuse.c" <<'C'
#include <smoeref/smoe_verify.h>
static int past(smoe_verify_case *c, void *context)
{
    double *p = smoe_verify_output(c, "p"), *dz = smoe_verify_gradient(c, "z");
    (void)context;
    p[smoe_verify_dim(c, 'T') * smoe_verify_dim(c, 'N')] = 1;
    return dz == 0;
}
static int gives_up(smoe_verify_case *c, void *context)
{
    (void)context;
    return smoe_verify_output(c, "q") == 0 && smoe_verify_dim(c, 'Q') == 0 && smoe_verify_choice(c, "order") == 0 ? 7 : 0;
}
static int counted; /* cases with padding */
static int count(smoe_verify_case *c, void *context)
{
    const double *mask = smoe_verify_input(c, "mask");
    (void)context;
    for (size_t t = 0; t < smoe_verify_dim(c, 'T'); t++)
        if (mask[t] != 1) {
            counted++;
            break;
        }
    return 1;
}
/* How many of them there are under these conditions; -1: the conditions are not understood. */
static int with_padding(const char *where)
{
    smoe_verify_options o = smoe_verify_defaults();
    o.where = where;
    o.quiet = 1;
    counted = 0;
    return smoe_verify_judge("balance.switch", count, 0, &o) == SMOE_VERIFY_USAGE ? -1 : counted;
}
int main(void)
{
    smoe_verify_options o = smoe_verify_defaults();
    if (with_padding(0) != 2 || with_padding("without=ties") != 2 || with_padding("without=mask") != 0) return 17;
    if (with_padding("k=2,without=ties|mask") != 0 || with_padding("without=ties,k=2") != 2) return 18;
    if (with_padding("case=padding|random") != 1 || with_padding("case=padding,without=mask") != -1) return 20;
    if (with_padding("case=paddin") != -1 || with_padding("case=padding|") != -1) return 21;
    if (with_padding("without=maks") != -1 || with_padding("without=") != -1 || with_padding("without") != -1) return 19;
    o.suite = "smoke";
    if (smoe_verify_judge("numerics.softmax", past, 0, &o) != SMOE_VERIFY_FAIL) return 10;
    if (smoe_verify_judge("numerics.softmax", gives_up, 0, &o) != SMOE_VERIFY_FAIL) return 11;
    if (smoe_verify_judge("numerics.sofmax", past, 0, &o) != SMOE_VERIFY_USAGE) return 12;
    o.suite = "smok";
    if (smoe_verify_judge("numerics.softmax", past, 0, &o) != SMOE_VERIFY_USAGE) return 13;
    o.suite = "smoke";
    o.where = "order=first";
    if (smoe_verify_judge("gate.weights", past, 0, &o) != SMOE_VERIFY_USAGE) return 14;
    o.where = "k=99";
    if (smoe_verify_judge("gate.weights", past, 0, &o) != SMOE_VERIFY_USAGE) return 15;
    o.where = 0;
    o.precision = "f8";
    return smoe_verify_judge("gate.weights", past, 0, &o) == SMOE_VERIFY_USAGE ? 0 : 16;
}
C
# shellcheck disable=SC2086
${CC:-cc} -std=c11 $warnings "$work/misuse.c" -o "$work/misuse" $verify >"$work/log" 2>&1 && "$work/misuse" >"$work/log" 2>&1 &&
    grep -q "wrote past an end of 'p'" "$work/log" && grep -q 'the function returned 7' "$work/log" &&
    grep -q "numerics.softmax has no output 'q'" "$work/log" && grep -q 'p\[0,0\] = nan' "$work/log"
point $? 'what is not written, written past its end or asked for in vain is said'
if command -v "${CXX:-c++}" >/dev/null 2>&1; then
    # shellcheck disable=SC2086
    ${CXX:-c++} -std=c++17 $warnings "$clients/cxx/judge.cpp" -o "$work/judgexx" $verify >"$work/log" 2>&1 &&
        "$work/judgexx" >"$work/log" 2>&1 && grep -q '^[1-9][0-9]* passed, 0 failed' "$work/log"
    point $? 'a test in C++ builds, and its right function passes'
else
    n=$((n + 1))
    echo "ok $n - a test in C++ builds, and its right function passes # SKIP no C++ compiler"
fi
copies=$work/stage$(PKG_CONFIG_SYSROOT_DIR='' ${PKG_CONFIG:-pkg-config} --variable=clients smoeverify)
[ -s "$copies/smoeref_io.py" ] && [ -s "$copies/smoeref_client.h" ]
point $? 'the files for clients are installed'
