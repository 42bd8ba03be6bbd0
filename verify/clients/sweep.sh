#!/bin/sh
# The sample clients over every suite, in every precision, for many seeds: the right ones must pass and the wrong ones fail.
#
#   sweep.sh [SEEDS]    default: 20, that is seeds 1 to 20
#
# SMOEREF is the command (default ./smoeref), PYTHON an interpreter with NumPy and PyTorch (default python3).
# PRECISIONS (default "f64 f32 bf16 f16") and SUITES (default "smoke core adversarial large") narrow it.
# Prints one line a seed and the counts; exit status 0 only if everything is as it should be.
set -u
seeds=${1:-20}
smoeref=${SMOEREF:-./smoeref}
python=${PYTHON:-python3}
here=$(cd "$(dirname "$0")" && pwd)
suites=${SUITES:-smoke core adversarial large}
precisions=${PRECISIONS:-f64 f32 bf16 f16}
numpy_ops='gate.weights layer.smoe balance.switch balance.zloss compete.route compete.distill compete.diversity compete.layer'
wrong='double_softmax prob_over_tk diversity_square softmax_selected weights_softmax_scores target_not_detached
       first_choice_only combine_grad_none tie_order'

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
passed=0
failed=0
caught=0
missed=0

judge() { # judge CASES CLIENT PRECISION
    "$smoeref" check --cases "$1" --precision "$3" \
        --exec "'$python' '$here/$2' {prompts} {answers}" >"$work/report" 2>&1
}

generate() { # generate OUT OP...: all suites in one folder
    out=$1
    shift
    flags=
    for suite in $suites; do flags="$flags --suite $suite"; done
    "$smoeref" gen "$@" $flags --seed "$seed" --out "$out" --precision "$(echo $precisions | tr ' ' ,)" || exit $?
}

seed=1
while [ "$seed" -le "$seeds" ]; do
    rm -rf "$work/all" "$work/layers"
    generate "$work/all"
    generate "$work/layers" $numpy_ops
    for precision in $precisions; do
        for pair in all:torch layers:numpy; do
            if judge "$work/${pair%:*}" "${pair#*:}/client.py" "$precision"; then passed=$((passed + 1)); else
                failed=$((failed + 1))
                echo "seed $seed, ${pair#*:} in $precision: FAILED"
                cat "$work/report"
            fi
        done
    done
    for client in $wrong; do
        judge "$work/layers" "wrong/$client.py" f32
        if [ $? -eq 1 ]; then caught=$((caught + 1)); else
            missed=$((missed + 1))
            echo "seed $seed, wrong/$client.py in f32: PASSED"
        fi
    done
    echo "seed $seed: $(ls "$work/all" | grep -c '\.prompt\.safetensors$') cases; so far right $passed passed, $failed failed;" \
        "wrong $caught caught, $missed missed"
    seed=$((seed + 1))
done
printf 'right clients: %s runs passed, %s failed; wrong clients: %s runs caught, %s missed\n' \
    "$passed" "$failed" "$caught" "$missed"
[ "$failed" -eq 0 ] && [ "$missed" -eq 0 ]
