#!/bin/sh
# The numbers that Kornblith et al. published with their demonstration of CKA, met by `smoeref eval` on input that NumPy draws.
# Prints TAP.  SMOEREF: the command.  PYTHON: an interpreter with NumPy.
set -u
smoeref=${SMOEREF:-./smoeref}
python=${PYTHON:-python3}
clients=$(cd "$(dirname "$0")/../verify/clients" && pwd)

if ! "$python" -c 'import numpy' 2>/dev/null; then
    echo "1..0 # SKIP $python has no NumPy"
    exit 0
fi
export PYTHONDONTWRITEBYTECODE=1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
echo 1..8
n=0
point() { # point STATUS DESCRIPTION
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else
        echo "not ok $n - $2"
        sed 's/^/# /' "$work/log"
    fi
}

# Seed 1337: X = randn(100, 10), then Y = randn(100, 10) + X.
cat >"$work/draw.py" <<'PY'
import sys

import numpy

sys.path.insert(0, sys.argv[1])
import smoeref_io

numpy.random.seed(1337)
x = numpy.random.randn(100, 10)
y = numpy.random.randn(100, 10) + x
smoeref_io.write(sys.argv[2], {"x": x, "y": y}, "F64")
PY
cat >"$work/close.py" <<'PY'
import sys

sys.path.insert(0, sys.argv[1])
import smoeref_io

got = float(smoeref_io.read(sys.argv[2])[0]["cka"])
print("got %.10f, expected %s" % (got, sys.argv[3]))
sys.exit(0 if abs(got - float(sys.argv[3])) <= 0.5e-5 else 1)
PY
"$python" "$work/draw.py" "$clients" "$work/in.safetensors" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }

evaluate() { # evaluate ARGUMENTS...
    "$smoeref" eval similarity.cka --in "$work/in.safetensors" --out "$work/out.safetensors" "$@" >"$work/log" 2>&1
}

is() { "$python" "$work/close.py" "$clients" "$work/out.safetensors" "$1" >>"$work/log" 2>&1; }

meets() { # meets VALUE ARGUMENTS...
    value=$1
    shift
    evaluate "$@" && is "$value"
}

misses() { # the command has a value, and it is another one
    value=$1
    shift
    evaluate "$@" && ! is "$value"
}

meets 0.55761
point $? "linear CKA is .55761"
meets 0.55761 --set route=features
point $? "in feature space as well"
meets 0.51346 --set estimator=debiased
point $? "debiased it is .51346"
meets 0.51346 --set estimator=debiased,route=features
point $? "in feature space as well"
meets 0.51346 --set estimator=unbiased
point $? "and by Song's sums"
median=kernel=rbf,bandwidth=median,sigma=0.5
meets 0.65483 --set "$median"
point $? "with an RBF kernel of half the median distance it is .65483"
misses 0.65483 --set "$median,diagonal=without"
point $? "which is the median with the diagonal: without it, another number"
misses 0.65483 --set kernel=rbf,sigma=0.5
point $? "and not .5 itself"
