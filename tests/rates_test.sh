#!/bin/sh
# `smoeref rates` on a tiny experiment: the same bytes for any number of workers, for shards, and after being killed at
# ten random moments, and for processes of an MPI job; torn and altered files; options that make no sense.  Prints TAP.  SMOEREF: the command.
set -u
smoeref=${SMOEREF:-./smoeref}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
TMPDIR=$work
export TMPDIR
. "$(dirname "$0")/tap.sh"
# --mpi: refused by a build without it (the usual one), tried by one that has it (make distcheck-clang)
with_mpi=yes
"$smoeref" rates exact --n 60,120 --repeats 2 --mpi 2>&1 | grep -q 'built without MPI' && with_mpi=no
if [ $with_mpi = yes ]; then echo 1..58; else echo 1..54; fi

tiny() { # tiny OUT OPTION...: 3 gates, 3 sizes, 4 repeats
    out=$1
    shift
    "$smoeref" rates exact --n 60,120,240 --repeats 4 --out "$work/$out" "$@"
}

same() { # same FILE: has it the bytes of one worker's run?
    cmp "$work/one" "$work/$1" >>"$work/log" 2>&1
}

# --- one run, and what it says
expect 0 'standard errors from -1/2' tiny one --workers 1
point $? "a run ends with the table"
[ "$(wc -l <"$work/one")" -eq 37 ]
point $? "its file has the plan and one line a fit"
! grep -qi 'nan\|inf' "$work/log" "$work/one"
point $? "no NaN in the table or the file"
for w in 2 4; do
    tiny "workers$w" --workers $w >"$work/log" 2>&1 && same "workers$w"
    point $? "$w workers: the same bytes"
done
cp "$work/one" "$work/again"
tiny again >"$work/log" 2>&1 && same again
point $? "a finished file is left as it is"
"$smoeref" rates exact --n 60,120,240 --repeats 4 >"$work/table" 2>&1 && tiny again >"$work/log" 2>&1 &&
    cmp "$work/table" "$work/log"
point $? "the table without a file is the same"
tiny seed --seed 2 >"$work/log" 2>&1 && ! same seed
point $? "another seed, another file"

# --- shards
for i in 1 2 3; do tiny "shard$i" --shard $i/3 >>"$work/log" 2>&1; done
"$smoeref" rates merge "$work/shard3" "$work/shard1" "$work/shard2" --out "$work/merged" >"$work/log" 2>&1 && same merged
point $? "three shards, merged: the same bytes"
cmp "$work/table" "$work/log"
point $? "and the same table"
"$smoeref" rates merge "$work/shard2" "$work/one" "$work/shard2" --out "$work/twice" >"$work/log" 2>&1 && same twice
point $? "a fit that is in several files counts once"
expect 3 '12 of 36 fits are missing' "$smoeref" rates merge "$work/shard1" "$work/shard3"
point $? "a missing shard is told"
expect 3 'of another experiment' "$smoeref" rates merge "$work/one" "$work/seed"
point $? "files of two experiments do not merge"
cp "$work/merged" "$work/over"
expect 3 'holds another experiment' tiny over --seed 2
point $? "a file of another experiment is not overwritten"
same over
point $? "nor touched"

# --- killed at ten random moments, then resumed
seed=$$
draw() { # draw N: 0 .. N-1 into $drawn
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    drawn=$((seed / 65536 % $1))
}

lines() { # lines FILE: how many it has, 0 if it is not there
    if [ -f "$1" ]; then wc -l <"$1"; else echo 0; fi
}

# kill_ten FILE COMMAND...: runs it ten times, each time until FILE has 0 or 1 more lines and some milliseconds longer
kill_ten() {
    file=$1
    shift
    kills=0
    i=0
    while [ $i -lt 10 ]; do
        i=$((i + 1))
        draw 2
        until=$(($(lines "$file") + drawn))
        "$@" >"$work/log" 2>&1 &
        pid=$!
        while kill -0 $pid 2>/dev/null && [ "$(lines "$file")" -lt $until ]; do sleep 0.01; done
        draw 10
        sleep "$(awk "BEGIN { print $drawn / 1000 }")"
        kill -KILL $pid 2>/dev/null && kills=$((kills + 1))
        wait $pid 2>/dev/null
    done
    echo "# $kills kills came before the end; $(lines "$file") lines then"
}

kill_ten "$work/killed" "$smoeref" rates exact --n 60,120,240 --repeats 4 --out "$work/killed" --workers 2
tiny killed >"$work/log" 2>&1 && same killed
point $? "killed ten times and resumed: the same bytes"
kill_ten "$work/part" "$smoeref" rates exact --n 60,120,240 --repeats 4 --out "$work/part" --workers 1 --shard 2/3
tiny part --shard 2/3 >"$work/log" 2>&1 && cmp "$work/part" "$work/shard2" >>"$work/log" 2>&1 &&
    "$smoeref" rates merge "$work/shard3" "$work/part" "$work/shard1" --out "$work/parts" >"$work/log" 2>&1 && same parts
point $? "a shard killed ten times, resumed and merged: the same bytes"
kill_ten "$work/slow" "$smoeref" rates over --n 60,120 --repeats 4 --out "$work/slow" --workers 4
"$smoeref" rates over --n 60,120 --repeats 4 --out "$work/slow" >"$work/slow.table" 2>"$work/log"
"$smoeref" rates over --n 60,120 --repeats 4 --out "$work/whole" >"$work/whole.table" 2>>"$work/log"
cmp "$work/slow" "$work/whole" >>"$work/log" 2>&1
point $? "the same with three atoms"
cmp "$work/slow.table" "$work/whole.table" >>"$work/log" 2>&1
point $? "and the same table"

# --- over MPI
ranks() { # ranks N OPTION...: N processes of an MPI job
    count=$1
    shift
    mpirun -n "$count" "$smoeref" rates exact --n 60,120,240 --repeats 4 --mpi "$@"
}

over_mpi() {
    # as root too, and on few cores
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
    for r in 1 3; do
        ranks $r --out "$work/ranks$r" >"$work/log" 2>&1 && same "ranks$r" && cmp "$work/table" "$work/log"
        point $? "$r processes over MPI: the same bytes and the same table"
    done
    for i in 1 2 3; do # mpirun is killed, its processes end by themselves
        from=$(lines "$work/mpi")
        mpirun -n 3 "$smoeref" rates exact --n 60,120,240 --repeats 4 --mpi --out "$work/mpi" >"$work/log" 2>&1 &
        until [ "$(lines "$work/mpi")" -gt $((from + 2)) ] || ! kill -0 $! 2>/dev/null; do sleep 0.01; done
        kill -KILL $! 2>/dev/null
        wait $! 2>/dev/null
        echo "# killed at $(lines "$work/mpi") lines"
        sleep 0.5
    done
    for i in 1 2 3 4 5 6 7 8 9 10; do # until the file is free
        ranks 2 --out "$work/mpi" >"$work/log" 2>&1 && break
        sleep 1
    done
    same mpi
    point $? "killed and resumed over MPI: the same bytes"
    for i in 1 2; do ranks 2 --shard $i/2 --out "$work/half$i" >"$work/log" 2>&1; done
    "$smoeref" rates merge "$work/half2" "$work/half1" --out "$work/halves" >"$work/log" 2>&1 && same halves
    point $? "shards over MPI, merged: the same bytes"
    expect 3 'holds another experiment' ranks 2 --seed 2 --out "$work/one"
    point $? "all processes end when the first cannot begin"
}
[ $with_mpi = no ] || over_mpi

# --- torn and altered files
head -c -20 "$work/one" >"$work/torn"
tiny torn >"$work/log" 2>&1 && same torn
point $? "a torn last line is run again"
sed '5s/"n":60/"n":61/' "$work/one" >"$work/altered"
tiny altered >"$work/log" 2>&1 && same altered
point $? "an altered line is run again"
sed '7d' "$work/one" >"$work/lacking"
tiny lacking >"$work/log" 2>&1 && same lacking
point $? "a missing line is run again"
(head -n 1 "$work/one"; sed 1d "$work/one" | sort -r; sed -n 4p "$work/one") >"$work/shuffled"
tiny shuffled >"$work/log" 2>&1 && same shuffled
point $? "order does not matter, nor does a line that is there twice"
sed 's/0.1.0/0.0.9/' "$work/one" >"$work/altered"
expect 3 'not a file of smoeref rates' tiny altered
point $? "an altered plan is refused"
echo 'my notes' >"$work/notes"
expect 3 'not a file of smoeref rates' tiny notes
point $? "a file of something else is refused"
[ "$(cat "$work/notes")" = 'my notes' ]
point $? "and left alone"
mkdir "$work/folder"
expect 3 'cannot write' tiny folder
point $? "a folder is refused"

# --- failures are counted
expect 0 'Failed fits, left out of the means:' "$smoeref" rates over --n 16,20 --repeats 8 --workers 2
point $? "failed fits are told"
! grep -qi 'nan\|inf' "$work/log"
point $? "and are no NaN"

# --- data that determine nothing: a status, no NaN
tensors() { # tensors FILE [NAME TYPE SHAPE NUMBERS]...: a safetensors file; the numbers are 0, 1, 2 or 3
    file=$1
    shift
    at=0
    header=
    body=
    while [ $# -gt 0 ]; do
        end=$at
        for v in $4; do
            end=$((end + 8))
            case $2$v in
            *0) body=$body'\0\0\0\0\0\0\0\0' ;;
            F641) body=$body'\0\0\0\0\0\0\360\077' ;;
            F642) body=$body'\0\0\0\0\0\0\0\100' ;;
            F643) body=$body'\0\0\0\0\0\0\010\100' ;;
            I641) body=$body'\1\0\0\0\0\0\0\0' ;;
            esac
        done
        header=$header,'"'$1'":{"dtype":"'$2'","shape":['$3'],"data_offsets":['$at,$end']}'
        at=$end
        shift 4
    done
    header="{${header#,}}"
    while [ ${#header} -lt 512 ]; do header="$header "; done
    { printf '\000\002\000\000\000\000\000\000%s' "$header"; printf "$body"; } >"$file"
}

oracle() { # oracle N X Y LABELS EXPERTS
    tensors "$work/data" x F64 "$1,1" "$2" y F64 "$1" "$3" label I64 "$1" "$4"
    rm -f "$work/answer"
    "$smoeref" eval convergence.oracle --in "$work/data" --out "$work/answer" --set experts="$5"
}

undetermined() { # undetermined WHAT TEXT N X Y LABELS EXPERTS
    what=$1
    text=$2
    shift 2
    expect 3 "$text" oracle "$@" && [ ! -e "$work/answer" ]
    point $? "$what: refused, nothing written"
}
domain='is not finite or out of range'
oracle 4 '0 1 2 3' '0 1 0 2' '0 0 0 0' 1 >"$work/log" 2>&1 && [ -s "$work/answer" ]
point $? "four samples of one atom determine it"
undetermined 'constant x' "$domain" 4 '1 1 1 1' '0 1 0 2' '0 0 0 0' 1
undetermined 'fewer samples than parameters' 'fewer samples determine nothing' 2 '0 1' '0 1' '0 0' 1
undetermined 'zero variance' "$domain" 4 '0 1 2 3' '0 1 2 3' '0 0 0 0' 1
undetermined 'an atom without samples' "$domain" 6 '0 1 2 3 0 1' '0 1 0 2 1 3' '0 0 0 0 0 0' 2
coincide() { # coincide VARIANCES: two atoms at the same place
    tensors "$work/data" x F64 4,1 '0 1 2 3' y F64 4 '0 1 0 2' a F64 2,1 '1 1' b F64 2 '0 0' nu F64 2 "$1" \
        beta0 F64 2 '0 0' beta1 F64 2,1 '0 0'
}
coincide '1 1'
"$smoeref" eval convergence.em --in "$work/data" --out "$work/answer" >"$work/log" 2>&1 &&
    tail -c 104 "$work/answer" | od -An -v -t f8 >"$work/log" && [ "$(wc -w <"$work/log")" -eq 13 ] &&
    ! grep -qi 'nan\|inf' "$work/log"
point $? "atoms that coincide: a step of EM without a NaN"
coincide '1 0'
expect 3 "$domain" "$smoeref" eval convergence.em --in "$work/data" --out "$work/answer"
point $? "an atom with variance 0: refused"

# --- other outputs
"$smoeref" rates merge "$work/one" --json >"$work/log" 2>&1 && grep -q '"standard_errors_from_minus_half"' "$work/log"
point $? "--json"
"$smoeref" rates merge "$work/one" --csv >"$work/log" 2>&1 && [ "$(wc -l <"$work/log")" -eq 28 ]
point $? "--csv has a line for each series, size and measure"
# of any four numbers the median is within sqrt 3 standard errors of the mean
awk -F, 'NR > 1 { d = $10 - $8; if (!($10 > 0 && d * d <= 3.0001 * $9 * $9)) { print; bad = 1 } } END { exit bad }' "$work/log"
point $? "and a median, near the mean"
if command -v gnuplot >/dev/null 2>&1; then
    "$smoeref" rates merge "$work/one" --plot "$work/plot.svg" >"$work/log" 2>&1 && grep -q '</svg>' "$work/plot.svg"
    point $? "--plot"
else
    skip "--plot" "gnuplot is not installed"
fi
expect 0 'softplus, oracle' "$smoeref" rates exact --n 60,120 --repeats 2 --estimator em,oracle
point $? "EM and the oracle"

# --- what makes no sense
refused() { # refused TEXT OPTION...
    text=$1
    shift
    expect 2 "$text" "$smoeref" rates "$@"
    point $? "refused: $*"
}
refused 'which preset?'
refused "did you mean 'exact'" exakt
refused 'has 6 parameters' exact --n 5,60
refused 'at least two sizes' exact --n 60
refused 'must ascend' exact --n 60,60
refused 'from 2 to' exact --repeats 1
refused '1 <= I <= N' exact --shard 3/2 --out "$work/x"
refused '--shard needs --out' exact --shard 1/2
refused 'FILE.svg or FILE.png' exact --plot "$work/x.pdf"
refused 'merge needs files' merge
refused '--mpi or --workers' exact --mpi --workers 2
refused '--mpi does not go with merge' merge --mpi "$work/one"
[ $with_mpi = yes ] || refused 'built without MPI' exact --mpi
