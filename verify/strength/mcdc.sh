#!/bin/sh
# Which conditions of ref/ and of the readers the tests show to matter (MC/DC): a build apart with clang's counters, the unit tests, the
# replayed fuzz corpora and the command's own tests, then mcdc.py.
#
#   make mcdc                 (or: sh verify/strength/mcdc.sh [LLVM-COV'S-JSON])
#   sh verify/strength/mcdc.sh --selftest
#
# Not shown and not excused in mcdc.excused, beyond what mcdc.floor allows: an error.  With a name, what llvm-cov exports is kept there.
# The tests run with fewer draws (SMOE_TEST_LIGHT), but for check_refusals, which then leaves functions out, and the refusals of
# check_numerics, which then leaves the rounding modes out.  check_enclosure is not among them, for it tests the twin.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cc=${CLANG_MCDC:-}
for clang in clang-19 clang-20 clang-21; do # the first clangs that have -fcoverage-mcdc without a limit to a decision's conditions
    [ -n "$cc" ] || cc=$(command -v "$clang" || :)
done
[ -n "$cc" ] || { echo 'mcdc: clang-19 is not installed' >&2; exit 1; }
tool() { # NAME: llvm's tool of the same version as the compiler
    for path in "$(dirname "$(readlink -f "$cc")")/$1" "$(command -v "$1-${cc##*-}" || :)"; do
        if [ -x "$path" ]; then echo "$path"; return; fi
    done
    echo "mcdc: $1 is not installed beside $cc" >&2
    return 1
}
profdata=$(tool llvm-profdata)
cov=$(tool llvm-cov)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
# Atomic, for the command reads in threads: a count that is lost would look like a case that no label of a switch takes.
counters='-fprofile-instr-generate -fcoverage-mapping -fcoverage-mcdc -fprofile-update=atomic'

export_of() { # OUT PROGRAM...: what the profiles say of it, and of the libraries that it takes
    out=$1
    program=$2
    shift 2
    "$profdata" merge --sparse "$work"/raw/*.profraw -o "$work/profile"
    "$cov" export --instr-profile="$work/profile" "$program" "$@" >"$out.json"
    "$cov" show --show-mcdc --instr-profile="$work/profile" "$program" "$@" >"$out.text"
}

if [ "${1:-}" = --selftest ]; then # a program whose second condition is never shown must be refused, and one excused in vain
    mkdir "$work/ref"
    cp "$here/mcdc_selftest.c" "$work/ref/planted.c"
    "$cc" -O1 $counters -o "$work/planted" "$work/ref/planted.c"
    LLVM_PROFILE_FILE="$work/raw/%p.profraw" "$work/planted"
    export_of "$work/planted" "$work/planted"
    exec python3 "$here/mcdc.py" --selftest "$work" "$work/planted"
fi

[ -e "$root/config.h" ] || { echo 'mcdc: run ./configure first' >&2; exit 1; }
setting() { sed -n "s/^S\[\"$1\"\]=\"\(.*\)\"\$/\1/p" "$root/config.status"; }
of_makefile() { # VARIABLE: the .c files that it lists
    sed -n "/^$1 *=/,/[^\\\\]\$/p" "$root/Makefile.am" | tr ' \\' '\n\n' | grep '\.c$'
}
readers='safetensors npy tensorfile shards manifest prompt stream dump rates_store verdict_store'
targets='fuzz_safetensors fuzz_npy fuzz_npz fuzz_dump fuzz_manifest fuzz_rates fuzz_prompt fuzz_ops'
tests=$(cd "$root/tests" && ls check_*.c | sed 's/\.c$//' | grep -v '^check_enclosure$')
counted="$(of_makefile libsmoeref_la_SOURCES) $(printf 'verify/oracle/%s.c ' $readers)"
is_counted() { case " $(echo $counted) " in *" $1 "*) return 0 ;; esac; return 1; }
if [ -e "$root/tests/watched.awk" ]; then (cd "$root" && awk -f tests/watched.awk ref/*.h) >"$work/watched.h"; fi
python3 "$here/mcdc.py" --rewrite "$root" "$work/source" $counted
name_of() { echo "$1" | sed 's|[/.]|_|g; s|_c$|.o|'; }
{
    printf 'FLAGS = -std=c11 -ffp-contract=off -O1 -D_GNU_SOURCE -DHAVE_CONFIG_H'
    printf ' -I%s' "$work" "$root" "$root/ref" "$root/verify/oracle" "$root/verify/enclosure" "$root/fuzz"
    printf '\nLIBS = -L%s -lref -Wl,-rpath,%s %s %s -lm\n' "$work" "$work" "$(pkg-config --libs check gsl jansson libzip nettle mpfr)" "$(setting ARB_LIBS)"
    printf 'all: smoeref'; for t in $tests $targets; do printf ' %s' "$t"; done; printf '\n'
    compile() { # SOURCE
        if is_counted "$1"; then
            case $1 in ref/*) more='-fPIC -fsemantic-interposition' ;; *) more="-include $here/mcdc_jansson.h" ;; esac
            printf '%s: %s\n\t%s $(FLAGS) -iquote %s %s %s -c -o $@ $<\n' "$(name_of "$1")" "$work/source/$1" "$cc" \
                "$(dirname "$root/$1")" "$more" "$counters"
        else
            printf '%s: %s\n\t%s $(FLAGS) -c -o $@ $<\n' "$(name_of "$1")" "$root/$1" "$cc"
        fi
    }
    for library in smoeref verify; do # the first one shared, since tests/check_refusals.c stands between it and its callers
        objects=
        for source in $(of_makefile "lib${library}_la_SOURCES"); do
            objects="$objects $(name_of "$source")"
            compile "$source"
        done
        case $library in
        smoeref) printf 'libref.so: %s\n\t%s -shared %s -o $@ $^ %s -lm\n' "$objects" "$cc" "$counters" "$(pkg-config --libs mpfr)" ;;
        verify) printf 'library.a: %s libref.so\n\tar rc $@ $(filter %%.o, $^)\n' "$objects" ;;
        esac
    done
    command=
    for source in $(of_makefile smoeref_SOURCES); do
        command="$command $(name_of "$source")"
        compile "$source"
    done
    printf 'smoeref: %s library.a\n\t%s %s -o $@ $^ $(LIBS)\n' "$command" "$cc" "$counters"
    for t in $tests; do
        more=
        for source in $(of_makefile "tests_${t}_SOURCES" | grep -v "^tests/$t\.c\$" || :); do more="$more $(name_of "$source")"; done
        link=$(sed -n "s/^tests_${t}_LDFLAGS *= *//p" "$root/Makefile.am" | sed 's/-export-dynamic/-rdynamic/')
        printf '%s: %s %s library.a\n\t%s $(FLAGS) %s %s -o $@ $^ $(LIBS)\n' "$t" "$root/tests/$t.c" "$more" "$cc" "-fprofile-instr-generate" "$link"
    done
    for t in $targets; do
        more=
        case $t in
        fuzz_ops) more=$root/fuzz/domains.c ;;
        fuzz_rates) more='verify_oracle_rates_plan.o verify_oracle_rates_store.o verify_oracle_rates_report.o' ;;
        esac
        printf '%s: %s %s %s library.a\n\t%s $(FLAGS) %s -o $@ $^ $(LIBS)\n' "$t" "$root/fuzz/$t.c" "$root/fuzz/replay.c" "$more" "$cc" \
            -fprofile-instr-generate
    done
} >"$work/Makefile"
if ! make -C "$work" -j"${JOBS:-$(nproc)}" >"$work/log" 2>&1; then
    tail -n 20 "$work/log" >&2
    exit 1
fi
if grep 'unsupported MC/DC' "$work/log" >&2; then
    echo 'mcdc: decisions that are not counted: see mcdc.rewrite' >&2
    exit 1
fi
LLVM_PROFILE_FILE=$work/raw/%4m.profraw # each program adds to the profile of its kind
SMOE_TEST_LIGHT=1 top_srcdir=$root top_builddir=$work SMOEREF=$work/smoeref PYTHON=$(setting PYTHON)
CK_VERBOSITY=silent CK_DEFAULT_TIMEOUT=0
export LLVM_PROFILE_FILE SMOE_TEST_LIGHT top_srcdir top_builddir SMOEREF PYTHON CK_VERBOSITY CK_DEFAULT_TIMEOUT
mkdir "$work/raw"
{
    for t in $tests; do
        whole=
        if [ "$t" = check_refusals ]; then whole='env -u SMOE_TEST_LIGHT'; fi
        echo "$(wc -c <"$root/tests/$t.c") cd '$work' && $whole ./$t >$t.log 2>&1 || { echo 'mcdc: $t fails' >&2; exit 1; }"
    done
    echo "10 cd '$work' && CK_RUN_CASE=refusals env -u SMOE_TEST_LIGHT ./check_numerics >refusals.log 2>&1 || { echo 'mcdc: the self-test' >&2; exit 1; }"
    for t in $targets; do echo "10 cd '$work' && ./$t '$root/fuzz/corpus/$t'/* >$t.log 2>&1 || { echo 'mcdc: $t fails' >&2; exit 1; }"; done
    for t in cli_test diff_test rates_test; do # each adds to files of its own, for some end the command without mercy
        echo "90000 cd '$work' && LLVM_PROFILE_FILE='$work/raw/$t-%4m.profraw' sh '$root/tests/$t.sh' >$t.log 2>&1; grep '^not ok' $t.log >&2 && exit 1; exit 0"
    done
} | sh "$here/side_by_side.sh"
export_of "$work/all" "$work/smoeref" --object "$work/libref.so"
if [ $# -gt 0 ]; then cp "$work/all.json" "$1.json"; cp "$work/all.text" "$1.text"; fi
exec python3 "$here/mcdc.py" "$work/source" "$work/all" $counted
