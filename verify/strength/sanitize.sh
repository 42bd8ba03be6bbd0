#!/bin/sh
# The library, the command and the unit tests under the compilers' sanitizers, and the command where the machine fails it.
#
#   make sanitize                (PARTS of the environment: some of these, such as PARTS='memory thread')
#
# address      AddressSanitizer, UndefinedBehaviorSanitizer and LeakSanitizer (gcc) over the unit tests, as memcheck.sh runs them
# memory       MemorySanitizer (clang) over ref/ and the operations, on every case of the core suite: outputs and gradients
#              are undefined before, and none may be after.  What other libraries write is declared in memory_libraries.c.
# thread       ThreadSanitizer (gcc) over the threads that judge answers
# rounding, syscalls, allocations    see disturb.py, with the command built as for `address`
#
# SITES=N: so many system calls of a kind, and so many allocations by the same callers, fail one at a time (default 1; 0: all).
# SANITIZE_WORK=FOLDER: where it is built; kept.
# Each part also has to notice a mistake that is put into a copy of a source on purpose.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$PWD
cc=${CC_GCC:-gcc}
clang=${CLANG:-clang}
python=${PYTHON:-python3}
parts=${PARTS:-memory address thread rounding syscalls allocations}
sites=${SITES:-1}
needed=
case " $parts " in *" syscalls "*) needed=strace ;; esac
for tool in "$cc" "$clang" "$python" $needed; do
    command -v "$tool" >/dev/null 2>&1 || { echo "sanitize: $tool is not installed" >&2; exit 1; }
done
[ -e "$build/config.h" ] || { echo 'sanitize: run ./configure first' >&2; exit 1; }
work=${SANITIZE_WORK:-$(mktemp -d)}
[ -n "${SANITIZE_WORK:-}" ] && mkdir -p "$work" || trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
failed=0
fail() {
    echo "sanitize: $*" >&2
    failed=1
}
has() { case " $parts " in *" $1 "*) ;; *) return 1 ;; esac }

sources_of() { # sources_of NAME: the .c files of NAME_SOURCES in Makefile.am
    sed -n "/^$1_SOURCES/,/[^\\\\]\$/p" "$root/Makefile.am" | tr ' \\' '\n\n' | grep '\.c$'
}
tests='check_numerics check_expert check_gate check_layer check_balance check_compete check_gate_noisy check_gate_cosine
    check_capacity check_diagnostics check_balance_aux check_compete_step check_similarity check_simsmoe check_formats
    check_registry check_verdict'
common="-std=c11 -ffp-contract=off -g -O1 -fno-omit-frame-pointer -D_GNU_SOURCE -DHAVE_CONFIG_H -I$build -I$build/verify/oracle
    -I$root/ref -I$root/verify/oracle -I$root/verify/enclosure $(pkg-config --cflags check gsl jansson libzip nettle mpfr)"
common=$(echo $common)
libraries="$(pkg-config --libs check gsl jansson libzip nettle mpfr) $(sed -n 's/^S\["ARB_LIBS"\]="\(.*\)"$/\1/p' "$build/config.status") -lm"

address='-fsanitize=address,undefined -fno-sanitize-recover=undefined'
thread=-fsanitize=thread
memory='-fsanitize=memory -fsanitize-memory-track-origins'

# --- builds -----------------------------------------------------------------------------------------------------------
# A makefile for all of them, and for copies of the command with one source spoilt.

objects() { # objects BUILD COMPILER FLAGS SOURCES...: rules; their names go to $made
    into=$1 compiler=$2 flags=$3
    shift 3
    made=
    for source in "$@"; do
        object=$into/$(echo "$source" | tr / _).o
        made="$made $object"
        printf '%s: %s $(headers)\n\t%s %s %s -c -o $@ $<\n' "$object" "$root/$source" "$compiler" "$common" "$flags" >>"$work/Makefile"
    done
}

target() { # target PROGRAM COMPILER FLAGS OBJECTS...
    program=$1 compiler=$2 flags=$3
    shift 3
    printf '%s: %s\n\t%s %s %s -o $@ %s %s\n' "$program" "$*" "$compiler" "$flags" '' "$*" "$libraries" >>"$work/Makefile"
    goals="$goals $program"
}

spoilt() { # spoilt NAME SOURCE SED-COMMAND BUILD COMPILER FLAGS OBJECTS...: the command with SOURCE changed, as spoilt-NAME
    name=$1 source=$2 command=$3 into=$4 compiler=$5 flags=$6
    shift 6
    sed "$command" "$root/$source" >"$work/spoilt-$name.c"
    if cmp -s "$root/$source" "$work/spoilt-$name.c"; then fail "the mistake of the control $name cannot be made in $source"; fi
    printf 'spoilt-%s.o: spoilt-%s.c\n\t%s %s %s -c -o $@ $<\n' "$name" "$name" "$compiler" "$common" "$flags" >>"$work/Makefile"
    object=$into/$(echo "$source" | tr / _).o
    target "spoilt-$name" "$compiler" "$flags" $(echo "$*" | tr ' ' '\n' | grep -vxF "$object") "spoilt-$name.o"
}

goals=
printf 'headers = $(wildcard %s/*.h)\n' "$root/ref" >"$work/Makefile" # what was built before an edit is built again
printf 'headers += $(wildcard %s/*.h)\n' "$root/verify/oracle" "$root/verify/enclosure" >>"$work/Makefile"
library=$(cd "$root" && ls ref/*.c)
if has address || has rounding || has syscalls || has allocations; then
    mkdir -p "$work/address"
    objects address "$cc" "$address" $library $(sources_of libverify_la)
    base=$made
    objects address "$cc" "$address" $(sources_of smoeref)
    whole="$base $made"
    target address/smoeref "$cc" "$address" $whole
    if has address; then
        for test in $tests; do
            objects address "$cc" "$address" "tests/$test.c"
            target "address/$test" "$cc" "$address" $made $base
        done
        spoilt overflow verify/oracle/tensorfile.c 's/malloc(size + 1)/malloc(size)/' address "$cc" "$address" $whole
        spoilt undefined verify/oracle/registry.c 's/^    \*out = (int32_t)value;/&\n    *out += INT32_MAX;\n    *out -= INT32_MAX;/' \
            address "$cc" "$address" $whole
        spoilt leak verify/oracle/tensorfile.c 's/^    free(bytes);//' address "$cc" "$address" $whole
    fi
    if has rounding; then
        spoilt rounding verify/oracle/main.c 's/if (smoe_selftest(&what) != SMOE_OK)/if (false)/' address "$cc" "$address" $whole
    fi
    if has syscalls; then
        spoilt syscalls verify/oracle/main.c 's/if (done < 0) return -1;/if (done < 0) return 0;/' address "$cc" "$address" $whole
    fi
    if has allocations; then
        spoilt allocations verify/oracle/tensorfile.c 's/if (buffer == NULL)/if (false)/' address "$cc" "$address" $whole
    fi
    printf 'disturb.so: %s\n\t%s -std=c11 -O1 -shared -fPIC -o $@ $< -ldl -lm\n' "$here/disturb.c" "$cc" >>"$work/Makefile"
    goals="$goals disturb.so"
fi
if has thread; then
    mkdir -p "$work/thread"
    objects thread "$cc" "$thread" $library $(sources_of libverify_la) $(sources_of smoeref)
    target thread/smoeref "$cc" "$thread" $made
    spoilt thread verify/oracle/cmd_diff.c 's/pthread_mutex_\(un\)*lock(&j->lock);//' thread "$cc" "$thread" $made
fi
if has memory; then
    mkdir -p "$work/memory"
    objects memory "$clang" "$memory" $library verify/oracle/registry.c $(cd "$root" && ls verify/oracle/op_*.c) \
        verify/strength/bits.c verify/strength/memory_libraries.c
    wrapped='-Wl,--wrap=op_run,--wrap=nettle_sha256_update,--wrap=nettle_sha256_digest'
    target memory/bits "$clang" "$memory $wrapped" $made
    spoilt memory ref/numerics.c 's/^        ds\[i\] = 0;$/        ;/' memory "$clang" "$memory $wrapped" $made
fi
printf 'all:%s\n' "$goals" >>"$work/Makefile"
started=$(date +%s)
if ! make -C "$work" -j"${JOBS:-$(nproc)}" all >"$work/log" 2>&1; then
    grep -B 2 -A 5 -E 'error|undefined reference' "$work/log" | head -n 40 >&2
    echo 'sanitize: it does not build' >&2
    exit 1
fi
echo "sanitize: built ($(($(date +%s) - started)) s)"

# --- runs -------------------------------------------------------------------------------------------------------------
export ASAN_OPTIONS=exitcode=99 LSAN_OPTIONS=exitcode=99 UBSAN_OPTIONS=exitcode=99:print_stacktrace=1 TSAN_OPTIONS=exitcode=99
export MSAN_OPTIONS=exit_code=99
mistakes=0

notices() { # notices NAME WORDS COMMAND...: the command must fail, and say WORDS
    name=$1 words=$2
    shift 2
    if "$@" >"$work/control" 2>&1 || ! grep -q "$words" "$work/control"; then
        tail -n 5 "$work/control" >&2
        fail "the mistake of the control $name was not noticed"
    else
        mistakes=$((mistakes + 1))
    fi
}

inputs() { # a few golden cases, and their expected values as answers
    [ -e "$work/golden" ] && return
    "$1" gen gate.weights compete.layer balance.switch --suite smoke --precision f64 --out "$work/golden" >/dev/null || fail 'no golden cases'
    mkdir -p "$work/answers"
    for case in "$work"/golden/*.prompt.safetensors; do
        name=$(basename "$case" .prompt.safetensors)
        "$1" eval --in "$case" --out "$work/answers/$name.safetensors" || fail "no answer to $name"
    done
}

if has address; then
    for test in $tests; do
        echo "$(wc -c <"$root/tests/$test.c") cd '$root' && SMOE_TEST_LIGHT=1 CK_DEFAULT_TIMEOUT=0 CK_VERBOSITY=normal CK_TAP_LOG_FILE_NAME=/dev/null" \
            "'$work/address/$test' >'$work/$test.log' 2>&1 || { tail -n 30 '$work/$test.log' >&2; echo 'sanitize: address: $test FAILED' >&2; exit 1; }"
    done | sh "$here/side_by_side.sh" || failed=1
    echo "address: $(echo $tests | wc -w) test programs, $(sed -n 's/.*: Checks: \([0-9]*\),.*/\1/p' "$work"/check_*.log | awk '{ n += $1 } END { print n + 0 }') tests"
    inputs "$work/address/smoeref"
    case=$(ls "$work"/golden/gate.weights*.prompt.safetensors | head -n 1)
    notices overflow 'heap-buffer-overflow' "$work/spoilt-overflow" eval --in "$case" --out "$work/x"
    notices undefined 'signed integer overflow' "$work/spoilt-undefined" eval --in "$case" --out "$work/x"
    notices leak 'detected memory leaks' "$work/spoilt-leak" eval --in "$case" --out "$work/x"
fi
if has memory; then
    if ! "$work/memory/bits" >"$work/memory.log" 2>&1; then
        head -n 30 "$work/memory.log" >&2
        fail 'memory: FAILED'
    elif [ "$(tail -n 1 "$work/memory.log")" != "$(cat "$here/core.digest")" ]; then
        fail 'memory: not the published digest'
    fi
    echo "memory: $(grep -vc '^smoeref-core' "$work/memory.log") operations on the core suite"
    notices memory 'use-of-uninitialized-value' "$work/spoilt-memory"
fi
if has thread; then
    inputs "$work/thread/smoeref"
    if ! "$work/thread/smoeref" diff "$work/golden" "$work/answers" --jobs 4 --power --report "$work/r.xml" >"$work/thread.log" 2>&1; then
        head -n 40 "$work/thread.log" >&2
        fail 'thread: FAILED'
    fi
    echo "thread: $(ls "$work/answers" | wc -l) answers judged by 4 threads"
    notices thread 'data race' "$work/spoilt-thread" diff "$work/golden" "$work/answers" --jobs 4 --power
fi
for part in rounding syscalls allocations; do
    has $part || continue
    "$python" "$here/disturb.py" $part "$work/address/smoeref" "$work/disturb.so" --sites "$sites" || failed=1
done
if has rounding; then notices rounding 'expected a refusal' "$python" "$here/disturb.py" rounding "$work/spoilt-rounding" "$work/disturb.so" --only list; fi
if has syscalls; then notices syscalls 'other bytes' "$python" "$here/disturb.py" syscalls "$work/spoilt-syscalls" "$work/disturb.so" --only diff --sites 1; fi
if has allocations; then notices allocations 'no message says why' "$python" "$here/disturb.py" allocations "$work/spoilt-allocations" "$work/disturb.so" --only eval --sites 1; fi
echo "sanitize: $mistakes mistakes made on purpose, each noticed; $(($(date +%s) - started)) s"
[ "$failed" -eq 0 ] && echo 'sanitize: nothing found'
exit "$failed"
