#!/bin/sh
# A part of `make correct`: no bound is below the error of a correct implementation, and where one kind of operation is computed
# worse than was promised, it shows.  Prints TAP.
set -u
program=${top_builddir:-.}/verify/strength/correct
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
echo 1..9
n=0
point() { # point STATUS DESCRIPTION
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else
        echo "not ok $n - $2"
        tail -n 20 "$work/log" | sed 's/^/# /'
    fi
}
"$program" --part 1/12 >"$work/log" 2>&1 && grep -qx '0 failed' "$work/log"
point $? 'a twelfth of all runs: none fails'
for op in numerics.silu numerics.norm; do # underflow times x; squares that underflow
    "$program" --ops $op >"$work/log" 2>&1 && grep -qx '0 failed' "$work/log"
    point $? "all runs of $op: none fails"
done
"$program" --seed 5 --ops gate.sigmoid >"$work/log" 2>&1 && grep -qx '0 failed' "$work/log" # f16: 1/(1 + exp(-x)), exp(-x) beyond 65504
point $? 'a sigmoid that is 0 since an exponential overflows: none fails'
for what in rounding sum exp store; do
    "$program" --ops numerics --part 1/4 --break $what >"$work/log" 2>&1
    [ $? -eq 1 ] && grep -qx '[1-9][0-9]* failed' "$work/log"
    point $? "worse $what than was promised fails"
done
"$program" --break nothing >"$work/log" 2>&1
[ $? -eq 2 ]
point $? 'an unknown way to break it is refused'
