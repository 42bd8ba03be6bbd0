#!/bin/sh
# The sample clients over every suite, in every precision, for many seeds: the right ones must pass and the wrong ones fail.
#
#   sweep.sh [SEEDS]    default: 20, that is seeds 1 to 20
#
# SMOEREF is the command (default ./smoeref), PYTHON an interpreter with NumPy and PyTorch (default python3).
# PRECISIONS (default f64,f32,bf16) and SUITES (default smoke,core,adversarial,large) narrow it.
# The wrong ones are run in f32 and bf16.  OPS, operations or chapters, asks the PyTorch client for those and nobody else.
# FORM=case asks the PyTorch client one process a case (and that client only); SMOEREF_WARM=1 spares it the imports.
# Prints one line a seed and the counts; exit status 0 only if everything is as it should be.
set -u
seeds=${1:-20}
smoeref=${SMOEREF:-./smoeref}
python=${PYTHON:-python3}
here=$(cd "$(dirname "$0")" && pwd)
suites=${SUITES:-smoke,core,adversarial,large}
precisions=${PRECISIONS:-f64,f32,bf16}
ops_asked=${OPS:-}
form='{prompts} {answers}'
right='torch numpy'
layer_ops='gate.weights layer.smoe balance.switch balance.zloss compete.route compete.distill compete.diversity compete.layer'
wrong='double_softmax prob_over_tk diversity_square softmax_selected weights_softmax_scores target_not_detached
       first_choice_only combine_grad_none tie_order'
if [ "${FORM:-folder}" = case ]; then
    form='{prompt} {answer}'
    right=torch
    wrong=
fi
if [ -n "$ops_asked" ]; then
    right=torch
    wrong=
fi

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
passed=0
failed=0
caught=0
missed=0

judge() { # judge CLIENT PRECISION [OP...]
    program=$1
    promised=$2
    shift 2
    "$smoeref" check "$@" --cases "$work/cases" --precision "$promised" --quiet \
        --exec "'$python' '$here/$program' $form" >"$work/report" 2>&1
}

seed=1
while [ "$seed" -le "$seeds" ]; do
    rm -rf "$work/cases"
    # shellcheck disable=SC2086
    "$smoeref" gen $ops_asked --suite "$suites" --seed "$seed" --out "$work/cases" --precision "$precisions" >/dev/null || exit $?
    for precision in $(echo "$precisions" | tr , ' '); do
        for client in $right; do
            ops=
            [ $client = numpy ] && ops="${layer_ops% compete.distill*} ${layer_ops#*compete.distill}"
            # shellcheck disable=SC2086
            judge $client/client.py "$precision" $ops
            status=$?
            # The NumPy client has one form of the distillation, that of the layer.
            if [ $client = numpy ] && [ $status -eq 0 ]; then
                judge numpy/client.py "$precision" compete.distill --where version=2 --where terms=both
                status=$?
            fi
            if [ $status -eq 0 ]; then passed=$((passed + 1)); else
                failed=$((failed + 1))
                echo "seed $seed, $client in $precision: FAILED"
                cat "$work/report"
            fi
        done
    done
    for client in $wrong; do
        for precision in f32 bf16; do
            # shellcheck disable=SC2086
            judge "wrong/$client.py" "$precision" $layer_ops
            if [ $? -eq 1 ]; then caught=$((caught + 1)); else
                missed=$((missed + 1))
                echo "seed $seed, wrong/$client.py in $precision: NOT CAUGHT"
                cat "$work/report"
            fi
        done
    done
    echo "seed $seed: $(ls "$work/cases" | grep -c '\.prompt\.safetensors$') cases; so far right $passed passed, $failed failed;" \
        "wrong $caught caught, $missed missed"
    seed=$((seed + 1))
done
printf 'right clients: %s runs passed, %s failed; wrong clients: %s runs caught, %s missed\n' \
    "$passed" "$failed" "$caught" "$missed"
[ "$failed" -eq 0 ] && [ "$missed" -eq 0 ]
