#!/bin/sh
# Frama-C's Eva, an abstract interpreter, on readers with unconstrained input: no undefined behaviour, or it fails.
#
#   make eva                       (or: sh verify/proofs/eva/prove.sh [ROOT])
#   sh prove.sh ROOT READER ...    these only
#
# What counts: no alarm, every assertion and every precondition of the C library valid.  The controls are readers in which a
# check has been taken out: Eva must object.  As many run at a time as there are processors (JOBS of the environment: that many).
#
# READER_any.c says what is analysed, and any.h, files_any.h, layout_any.h, index_any.h, jansson_any.h and nettle_any.h what may come from
# outside.  Sizes (the bytes of a file, the members of a JSON object) are fixed by an analysis, because buffers are allocated by them;
# contents are free.  Left out is what READER_any.c does not call: writing (verdict_store.c, manifest.c, stream.c, prompt.c), the table of
# operations in registry.c, and in main.c the options and what --where is compared with.
set -u
export LC_ALL=C
one=
[ "${1:-}" != --one ] || { one=yes; shift; } # --one ROOT FOLDER READER WHAT DEFINITIONS [SED]: one analysis, in a FOLDER of its own
script=$(cd "$(dirname "$0")" && pwd)/prove.sh
root=$(cd "${1:-$(dirname "$0")/../../..}" && pwd) || exit 1
[ $# -gt 0 ] && shift
oracle=$root/verify/oracle

# What an analysis is given besides the reader: how far states are kept apart, and the sources that it calls.
options() { # options READER DEFINITIONS
    case $1 in
    npy) echo "-eva-slevel 200 -eva-split-return-function read_frame:0:-1 $oracle/tensorfile.c" ;;
    safetensors) echo "-eva-slevel 300 -eva-slevel-function check_fields:3,read_metadata:3,any_value:2,any_text:2,any_order:3,any_copy:2,tensor_count:3,read_shape:20
        -eva-split-return-function size_from:0:-1,tensor_count:0:-1,read_length:0:-1,read_dtype:0:-1,read_shape:0:-1,read_offsets:0:-1,read_tensor:0:-1,read_metadata:0:-1,check_tiling:0:-1,read_header:full,read_layout:full,layout:full,tensor_layout_safetensors:full
        $oracle/tensorfile.c" ;;
    tensorfile) echo "-eva-slevel 300 -eva-slevel-function tensor_file_sha256:5 -eva-auto-loop-unroll 300 -warn-special-float none
        -eva-split-return-function any_stat:0:-1,any_piece:full,read_fully:full,regular_file_open:-1,whole_file_read:0:-1" ;;
    tensorview) echo "-eva-auto-loop-unroll 300 -warn-special-float none -eva-split-return-function any_piece:full,any_piece_at:full,read_at:0 $oracle/tensorfile.c"
        case $2 in
        -DPART=1*) echo '-eva-slevel 1000' ;;
        -DPART=3*) echo '-eva-slevel 300 -eva-slevel-function any_copy:3,any_message:1,any_text:1,any_place:1,any_compared:1,any_descriptor:1
            -eva-split-return-function any_copy:full,any_header:full,any_layout:0,any_head:full,take_layout:full,read_layout:full,open_one:full,any_index:full,tensor_view_take:full,check_shard:full,open_shards:full' ;;
        *) echo '-eva-slevel 300 -eva-slevel-function any_copy:3,any_message:1,any_text:1,any_place:1,any_compared:1,any_descriptor:1
            -eva-split-return-function any_copy:full,any_header:full,any_layout:0,any_layout_npy:full,any_head:full,npy_layout:full,take_layout:full,read_layout:full,open_one:0' ;;
        esac ;;
    digest) echo "-eva-slevel 300 -eva-auto-loop-unroll 40 -eva-split-return-function any_regular:-1,block_digests_hex:0:-1" ;;
    text) echo "-eva-slevel 10 -warn-special-float none -eva-split-return-function any_stat:0" ;;
    registry) echo "-eva-slevel 3000 -eva-auto-loop-unroll 40 -eva-slevel-function any_copy:2,any_message:1,shape_of:30,shape_list:30,is_letter_of:20,find_dim:20
        -eva-split-return-function any_cspn:full,next_pair:full,find_param:full,any_count:full,bind_dims:0,set_params:0,set_defaults:0,parse_whole:0,parse_real:0,is_choice:0,shape_of:0,shape_list:0" ;;
    roundoff) echo "-eva-slevel 1000 -eva-auto-loop-unroll 140 -warn-special-float none
        -eva-split-return-function any_copied:full,any_count:full,any_token:full,any_end:full,any_found:full,is_ulp:0,read_tensor:0" ;;
    main) echo "-eva-slevel 500 -eva-auto-loop-unroll 140 -warn-special-float none
        -eva-split-return-function any_found:full,any_cspn:full,item_end:full,any_end:full" ;;
    verdict_store) echo "-eva-slevel 200 -warn-special-float none -eva-slevel-function any_unpacked:3000,any_compared:1,any_message:1,any_copy:3,read_tensor:30,read_real:4,check_sums:60,slot_fits:20,in_range:3
        -eva-split-return-function any_string:full,any_text:full,any_value:full,any_copy:0,any_field:full,any_unpacked:full,read_text:0:-1,read_bins:0:-1,read_shape:full,read_heat:0:-1,read_tensor:0:-1,read_match:0:-1,read_real:0,read_lists:0:-1,in_range:0,tensor_count:0:-1
        $oracle/tensorfile.c"
        case $2 in
        -DPART=5*) echo '-eva-slevel-function read_root:1000,verdict_store_parse:100,read_exposed:3
            -eva-split-return-function any_whole_file:0,read_case:0,read_exposed:0,read_root:full,verdict_store_parse:full,verdict_store_read:full' ;;
        -DPART=6*) echo '-eva-auto-loop-unroll 10 -eva-slevel-function join:4 -eva-split-return-function same_run:full' ;;
        esac ;;
    stream) echo "-eva-slevel 200 -warn-special-float none -eva-slevel-function any_fabs:3,any_compared:1,any_message:1,any_copy:3,has_fields:20,set_element:300
        -eva-split-return-function any_string:full,any_value:full,has_fields:0:1,read_dtype:full,any_fabs:full,read_shape:0:-1,set_element:0
        $oracle/tensorfile.c"
        case $2 in
        -DPART=4*) echo '-eva-slevel-function any_text:1,read_shape:3,add_tensor:300,read_tensors:5 -eva-split-return-function any_product:0,any_added:0,add_tensor:0,read_tensors:0' ;;
        *) echo '-eva-split-return-function any_text:full,tensor_count:0:-1' ;;
        esac ;;
    shards) echo "-eva-slevel 1200 -eva-slevel-function any_compared:100,any_message:1,any_last:60,beside:60,any_copied:60,is_printable:60,any_found:60,any_text:1,any_search:1
        -eva-split-return-function add_shard:full,any_last:full,any_copied:full,any_found:0,beside:0,is_printable:0,ends_in:0"
        case $2 in
        -DPART=1*) echo '-eva-slevel-function find_shard:5' ;;
        *) echo '-eva-split-return-function any_copy:full,any_whole_file:0,find_shard:full,any_map:full,any_order_of_two:full,take_map:full,shards_read:full' ;;
        esac ;;
    prompt) echo "-eva-slevel 300 -eva-slevel-function fail:3,any_message:1,wrong_shape:3
        -eva-split-return-function any_input:0,bind_shape:0,check_dtype:0,any_cspn:full"
        case $2 in
        -DPART=2*) echo '-eva-split-return-function check_metadata:0' ;;
        -DPART=3*) echo '-eva-slevel 3000 -eva-auto-loop-unroll 20
            -eva-split-return-function any_length:full,any_beginning:0,any_printed:full,any_copy:full,any_set:full,sets:0' ;;
        -DPART=4*) echo '-eva-split-return-function any_input:full,copy_values:0' ;;
        esac ;;
    dump) echo "-warn-special-float none -eva-auto-loop-unroll 300 -eva-slevel-function go_to:3,any_message:1,any_copy:3,any_text:1,any_place:1,any_compared:1,any_descriptor:1,pattern_of:3,unsuitable:1
        -eva-split-return-function any_piece:full,any_piece_at:full,read_plain:0,inflate:0,read_entry:0,read_elements:0,read_run:0,read_rows:0,any_copy:full,any_said:0,any_header:full,any_layout:0,any_layout_npy:full,layout_safetensors:full,read_head:0,add_entry:0,add_matrix:0
        $oracle/tensorfile.c"
        case $2 in # what has been opened so far of an archive, apart
        -DPART=3*) echo '-eva-slevel 300 -eva-split-return-function open_entries:full,open_archive:full,open_contents:full,open_source:full' ;;
        -DPART=4*) echo '-eva-slevel 600 -eva-slevel-function pattern_of:20
            -eva-split-return-function any_order_of_two:full,any_index:full,any_printed:0,wanted:full,unsuitable:0,refuse:full,leave_out:full,add_tensor:full,add_sources:full,open_entries:full,open_archive:full,open_contents:full,open_source:full,open_shards:full,open_file:full,check_used:0,name_matrices:full' ;;
        *) echo '-eva-slevel 1000' ;;
        esac ;;
    manifest) echo "-eva-slevel 200 -eva-slevel-function check_optional_fields:3,word_ok:300,any_compared:1,any_part:3,any_found:1,any_copy:3,any_message:1,parse_roundoff:10,manifest_set_to_parameters:12,set_one:10
        -eva-split-return-function any_string:full,any_text:full,any_copy:0,any_stream:0,finish:0:-1,start:0:-1,parameters_text:0:-1,value_text:0:-1,parameters_load:0:-1,canonical:0:-1,any_part:0,set_one:0:-1,print_parameters:0:-1,parse_digests:full,parse_blocks:full,check_optional_fields:0:-1,check_fields:0:-1,add_case:full,manifest_parameters_to_set:0:-1,manifest_set_to_parameters:0:-1"
        case $2 in # a loop over copies needs one room for all
        -DPART=1*) echo '-eva-alloc-builtin by_stack -eva-split-return-function any_value:0' ;;
        -DPART=4*) echo '-eva-slevel-function parse_case:2000,parse_root:2000,parse_flags:100,add_flag:100,manifest_has_flag:100,manifest_parse:1000,manifest_read:1000
            -eva-split-return-function any_of:full,any_value:0,any_whole_file:0,string_of:full,parse_case:full,add_flag:full,parse_flags:full,parse_root:full,manifest_parse:full,manifest_read:full,manifest_init:0,parse_roundoff:0,check_names:0' ;;
        *) echo '-eva-split-return-function any_value:full' ;;
        esac ;;
    esac
}

# A control is over at its first alarm.  Eva needs a few plug-ins only, and a larger heap to begin with.
analyse() { # analyse READER DEFINITIONS [OPTION...]: $work has the reader's source
    reader=$1 definitions=$2
    shift 2
    # shellcheck disable=SC2046
    OCAMLRUNPARAM=s=1M,o=200 frama-c -no-autoload-plugins -load-module eva,variadic,inout,scope -c11 -machdep x86_64 \
        -cpp-extra-args="$definitions -I$work -I$work/empty -I$oracle -I$root/ref -I$root/verify/enclosure -isystem /usr/include" \
        -eva -eva-precision 2 -eva-alloc-builtin fresh $(options "$reader" "$definitions") "$@" -main main \
        "$root/verify/proofs/eva/${reader}_any.c" >"$work/log" 2>&1 &&
        grep -q '^  0 alarms generated by the analysis' "$work/log" && grep -q '^  100% of the logical properties reached have been proven' "$work/log"
}

right_one() { # right_one READER WHAT DEFINITIONS
    cp "$oracle/$1.c" "$work" || exit 1
    if analyse "$1" "$3"; then
        printf 'eva: %s, %s: %s, no alarm\n' "$1" "$2" "$(sed -n 's/^ *\([0-9]* functions analyzed\).*/\1/p' "$work/log")"
    else
        printf 'eva: %s, %s:\n' "$1" "$2" >&2
        grep -A 2 -E 'eva:alarm|User Error|error:' "$work/log" | head -n 20 >&2
        exit 1
    fi
}

wrong_one() { # wrong_one READER NAME DEFINITIONS SED
    sed "$4" "$oracle/$1.c" >"$work/$1.c"
    if cmp -s "$oracle/$1.c" "$work/$1.c"; then
        echo "eva: control, $1, $2: changes nothing" >&2
        exit 1
    elif analyse "$1" "$3" -eva-warn-key alarm=abort; then
        echo "eva: control, $1, $2: nothing was objected" >&2
        exit 1
    elif grep -q '^\[eva:alarm]' "$work/log" && grep -q '^\[eva] User Error: warning alarm treated as fatal error' "$work/log"; then
        printf 'eva: control, %s, %s: objected\n' "$1" "$2"
    else
        echo "eva: control, $1, $2: not analysed" >&2
        grep -A 2 -E 'User Error|error:' "$work/log" | head -n 6 >&2
        exit 1
    fi
}

if [ -n "$one" ]; then
    work=$1
    shift
    mkdir -p "$work/empty/gsl" || exit 1 # of headers of which a reader needs nothing
    for header in gmp.h mpfr.h gsl/gsl_version.h; do : >"$work/empty/$header"; done
    if [ $# -gt 3 ]; then wrong_one "$@"; else right_one "$@"; fi
    exit 0
fi

# One analysis a processor.  They are written down first: SECONDS, of those that take long, say which start first.
readers=${*:-npy safetensors tensorfile tensorview digest text registry roundoff main manifest verdict_store stream shards prompt dump}
command -v frama-c >/dev/null 2>&1 || { echo 'eva: frama-c is not installed' >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
failed=0
analyses=0
: >"$work/lines"
: >"$work/right"

line() { # line SECONDS ARGUMENT...: as the shell reads it again
    analyses=$((analyses + 1))
    mkdir "$work/$analyses"
    printf '%s sh' "$1"
    shift
    for argument in "$script" --one "$root" "$work/$analyses" "$reader" "$@"; do
        printf " '%s'" "$(printf '%s' "$argument" | sed "s/'/'\\\\''/g")"
    done
    echo
}

right() { # right WHAT DEFINITIONS [SECONDS]: the reader as it is
    echo "$reader $2" >>"$work/right"
    line "${3:-3}" "$1" "$2" >>"$work/lines"
}

wrong() { # wrong NAME DEFINITIONS SED [SECONDS]: a check is taken out; nothing else makes an alarm, since the reader as it is has none
    if ! grep -qxF -- "$reader $2" "$work/right"; then
        echo "eva: control, $reader, $1: the reader as it is is not analysed with $2" >&2
        failed=1
    fi
    line "${4:-2}" "$1" "$2" "$3" >>"$work/lines"
}

for reader in $readers; do
    case $reader in
    npy)
        for n in 0 9 11 14 40 118; do # nothing, around the frame, a short header, NumPy's usual one
            right "every input of $n bytes" "-DLENGTH=$n"
        done
        wrong 'a string longer than its room' -DLENGTH=40 's/ || n + 1 >= size) return -1/) return -1/'
        wrong 'a digit beyond the end' -DLENGTH=40 's/for (; c->at < c->end \&\& \*c->at >= .0. /for (; *c->at >= '"'0'"' /'
        wrong 'a header longer than the file' -DLENGTH=40 's/if (\*length > n - 8 - width) return bad(c, "truncated");//'
        ;;
    safetensors)
        for n in 0 1 2 3; do right "every header of $n members in a file of 40 bytes" "-DLENGTH=40 -DMEMBERS=$n"; done
        right 'a file of 7 bytes' '-DLENGTH=7 -DMEMBERS=1'
        wrong 'more dimensions than there is room for' '-DLENGTH=40 -DMEMBERS=1' 's/if (json_array_size(j) > TENSOR_RANK)/if (0)/'
        wrong 'a header longer than the file' '-DLENGTH=40 -DMEMBERS=1' 's/if (announced > n - 8)/if (0)/'
        wrong 'a dtype that is no string' '-DLENGTH=40 -DMEMBERS=1' 's/if (!json_is_string(j))/if (!j)/'
        wrong 'room for a tensor too few' '-DLENGTH=40 -DMEMBERS=2' 's/calloc(json_object_size(header) + 1,/calloc(json_object_size(header) - 1,/'
        ;;
    tensorfile)
        for n in 0 3 257; do right "$n elements of each dtype, a file of 10 bytes" "-DCOUNT=$n -DFILE_SIZE=10"; done
        wrong 'no room for the NUL after a file' '-DCOUNT=3 -DFILE_SIZE=10' 's/malloc(size + 1)/malloc(size)/'
        wrong 'a file read past its end' '-DCOUNT=3 -DFILE_SIZE=10' 's/size_t want = n - got > (1u << 30) ? (1u << 30) : n - got;/size_t want = n;/'
        wrong 'a chunk widened past its end' '-DCOUNT=3 -DFILE_SIZE=10' 's/memcpy(&x, bytes + i \* size, m \* size);/memcpy(\&x, bytes + i * size, CHUNK * size);/'
        wrong 'division by a dimension of 0' '-DCOUNT=3 -DFILE_SIZE=10' 's/if (dim\[i\] == 0) {/if (0) {/'
        wrong 'sizes longer than their room' '-DCOUNT=3 -DFILE_SIZE=10' 's/n += (size_t)snprintf(out/n += 2 * (size_t)snprintf(out/'
        wrong 'a block longer than its room' '-DCOUNT=3 -DFILE_SIZE=10' 's/read_fully(fd, block, sizeof block)/read_fully(fd, block, sizeof block + 1)/'
        wrong 'a digit of a digest past its end' '-DCOUNT=3 -DFILE_SIZE=10' 's/snprintf(hex + 2 \* i, 3,/snprintf(hex + 2 * i + 1, 3,/'
        ;;
    tensorview)
        few='-DPART=1 -DFORMAT=TENSOR_NPY -DHEAD=2 -DCOUNT=2 -DFILE_SIZE=0'
        right 'any pieces of 2 elements of each dtype' "$few"
        for f in SAFETENSORS NPY; do right "the opening of a file, $f" "-DPART=2 -DFORMAT=TENSOR_$f -DHEAD=2 -DCOUNT=2 -DFILE_SIZE=0 -DTEXT=2"; done
        index='-DFORMAT=TENSOR_SAFETENSORS -DHEAD=0 -DFILE_MOST=0 -DCOUNT=2 -DFILE_SIZE=0 -DTEXT=2'
        for n in 1 2; do right "the shards of an index, $n" "-DPART=3 -DINDEX=$n $index"; done
        wrong 'a piece read past its end' "$few" 's/bytes + got, n - got,/bytes + got, n,/'
        wrong 'narrow elements put beyond the room' "$few" 's/n \* (sizeof \*to - tensor_dtype_size(dtype))/n * sizeof *to/'
        few='-DPART=2 -DFORMAT=TENSOR_SAFETENSORS -DHEAD=2 -DCOUNT=2 -DFILE_SIZE=0 -DTEXT=2'
        wrong 'a name that two own' "$few" 's/p->name = NULL;//'
        wrong 'room for one place' "$few" 's/calloc(l->tensors + 1, sizeof \*v->place)/calloc(1, sizeof *v->place)/'
        wrong 'room for the files of one shard' "-DPART=3 -DINDEX=2 $index" 's/realloc(v->file, (v->files + from->files + 1)/realloc(v->file, (from->files)/'
        wrong 'files that two own' "-DPART=3 -DINDEX=2 $index" 's/from->head.tensors = from->files = 0;//'
        ;;
    digest)
        right 'any block of 3' '-DBLOCKS=3 -DFILE_SIZE=0'
        wrong 'a block read at once' '-DBLOCKS=3 -DFILE_SIZE=0' 's/end - at < sizeof bytes ? end - at : sizeof bytes/end - at/'
        wrong 'the digest of the block after' '-DBLOCKS=3 -DFILE_SIZE=0' 's/if (memcmp(hex, want + i \* DIGEST_HEX,/if (memcmp(hex, want + (i + 1) * DIGEST_HEX,/'
        ;;
    text)
        right 'a file of any length' ''
        wrong 'an error of reading taken for a byte' '' 's/if (b < 0) return -1;//'
        wrong 'a byte before the first' '' 's/back < 3 \&\& back <= p/back < 3/'
        ;;
    registry)
        for n in 0 7; do right "every text of up to $n bytes" "-DTEXT=$n"; done
        wrong 'a name longer than its room' -DTEXT=0 's/ || n >= 64 || / || /'
        wrong 'a value longer than its room' -DTEXT=0 's/ || item - n - 1 >= 64 || / || /'
        wrong 'a comma at the end' -DTEXT=7 's/\*list = p + item + (p\[item\] == .,.);/*list = p + item + 1;/'
        wrong 'a list of parameters longer than its room' -DTEXT=0 's/ \&\& at < sizeof known; j++)/; j++)/'
        ;;
    roundoff)
        for n in 0 3; do right "every text of up to $n bytes" "-DTEXT=$n"; done
        wrong 'a text longer than its room' -DTEXT=0 's/if (strlen(text) >= sizeof copy) return/if (0) return/'
        wrong 'more tensors than there is room for' -DTEXT=0 's/if (r->tensors == ROUNDOFF_TENSORS) {/if (0) {/'
        wrong 'a list of names longer than its room' -DTEXT=0 's/ \&\& at < errlen; i++)/; i++)/'
        ;;
    main)
        right 'every text of up to 4 bytes' -DTEXT=4 6
        wrong 'more conditions than there is room for' -DTEXT=4 's/if (list->count == sizeof list->text \/ sizeof \*list->text) return/if (0) return/'
        wrong 'values past the end' -DTEXT=4 "s/if (\\*p == '.0') return false;//"
        wrong 'an item past the end' -DTEXT=4 "s/for (const char \\*p = set, \\*end; \\*p; p = end + (\\*end == ',')) {/for (const char *p = set, *end; *p; p = end + 1) {/"
        wrong 'a name that is there already' -DTEXT=4 's/if (j == list->count) list->name/list->name/'
        wrong 'more precisions than there is room for' -DTEXT=4 's/n < 8; n++) known/n < 9; n++) known/'
        wrong 'a parameter that is unknown' -DTEXT=4 's/if (!param || p + n >= end) return false/if (p + n >= end) return false/'
        ;;
    manifest)
        few='-DMEMBERS=1 -DANY_MEMBERS=2 -DTEXT=8'
        right 'words and parameters of any JSON, of up to 2 members' "-DPART=1 $few"
        right 'blocks and roundoffs of any JSON, of up to 2 members' "-DPART=2 $few"
        right 'up to 3 cases' "-DPART=3 $few"
        whole='-DPART=4 -DMEMBERS=1 -DANY_MOST=2 -DTEXT=8'
        right 'a file of any JSON, of up to 2 members' "$whole"
        wrong 'a flag that is no text' "$whole" 's/if (flag == NULL)/if (0)/'
        wrong 'room for one flag' "$whole" 's/realloc(c->flag, (c->flags + 1) \* sizeof/realloc(c->flag, sizeof/'
        wrong 'a number longer than its room' "-DPART=1 $few" 's/char text\[40\];/char text[20];/'
        wrong 'a pair without =' "-DPART=1 $few" 's/if (equals == NULL || equals == pair) return/if (equals == pair) return/'
        wrong 'no room for the NUL after the digests' "-DPART=2 $few" 's/malloc(n \* DIGEST_HEX + 1)/malloc(n * DIGEST_HEX)/'
        wrong 'a digest of any length' "-DPART=2 $few" 's/hex == NULL || !digest_ok(hex)/hex == NULL/'
        wrong 'a digest of a prompt of any length' "-DPART=3 $few" 's/if (!digest_ok(prompt) || !digest_ok(expected))/if (!digest_ok(expected))/'
        wrong 'no room for a second case' "-DPART=3 $few" 's/(m->cases ? 2 \* m->cases : 1)/(m->cases ? m->cases : 1)/'
        ;;
    verdict_store)
        few='-DMEMBERS=1 -DANY_MEMBERS=2 -DTEXT=8'
        right 'a tensor of any JSON' "-DPART=1 $few"
        right 'pictures of any JSON' "-DPART=2 $few"
        right 'lists of any JSON, of up to 2 members' "-DPART=3 $few"
        right 'a case of any JSON' "-DPART=4 $few"
        right 'a file of any JSON, of up to one case' "-DPART=5 $few"
        right 'joining up to 2 parts of up to 3, of up to 3 cases' "-DPART=6 $few"
        wrong 'a digest of any length' "-DPART=5 $few" 's/if (!is_digest(manifest) || !is_digest(asked))/if (0)/'
        wrong 'more sizes than there is room for' "-DPART=1 $few" 's/if (!json_is_array(j) || json_array_size(j) > OP_RANK)/if (!json_is_array(j))/'
        wrong 'a text that is none' "-DPART=1 $few" 's/if (!s) return may_be_null/if (!s \&\& json_is_null(j)) return may_be_null/'
        wrong 'a picture of any length' "-DPART=2 $few" 's/strlen(levels) != n || strspn(levels, "012345") != n/strspn(levels, "012345") == 0/'
        wrong 'room for a tensor too few' "-DPART=3 $few" 's/return calloc(n + 1, each);/return calloc(n ? n - 1 : 0, each);/'
        wrong 'parts of different runs' "-DPART=6 $few" 's/if (!same_run(&s\[0\], &s\[i\]))/if (0)/'
        wrong 'room for the cases of one part' "-DPART=6 $few" 's/room(s\[0\].total,/room(s[0].cases,/'
        ;;
    stream)
        right 'every line of 9 bytes' '-DPART=1 -DMEMBERS=1 -DTEXT=8 -DLENGTH=9'
        right 'an element of each dtype, of any JSON' '-DPART=2 -DMEMBERS=1 -DANY_MEMBERS=0 -DTEXT=8 -DLENGTH=9'
        few='-DPART=3 -DMEMBERS=1 -DANY_MEMBERS=9 -DTEXT=8 -DLENGTH=9'
        right 'fields, dtype and shape of any JSON, of up to 9 members' "$few"
        answer='-DMEMBERS=2 -DANY_MOST=3 -DTEXT=4 -DLENGTH=9'
        for n in 0 2; do right "an answer of any JSON, of up to 3 tensors of $n elements" "-DPART=4 -DCOUNT=$n $answer"; done
        wrong 'a byte past the end' '-DPART=1 -DMEMBERS=1 -DTEXT=8 -DLENGTH=9' 's/i < n; i++) brackets/i <= n; i++) brackets/'
        wrong 'an element wider than its room' '-DPART=2 -DMEMBERS=1 -DANY_MEMBERS=0 -DTEXT=8 -DLENGTH=9' 's/((float \*)t->data)\[i\] = (float)x/((double *)t->data)[i] = x/'
        wrong 'a whole number of any size' '-DPART=2 -DMEMBERS=1 -DANY_MEMBERS=0 -DTEXT=8 -DLENGTH=9' 's/if (!is_exact || /if (/'
        wrong 'room for one element' "-DPART=4 -DCOUNT=2 $answer" 's/calloc(t.count ? t.count : 1,/calloc(1,/'
        wrong 'a name that is no text' "-DPART=4 -DCOUNT=2 $answer" 's/if (!json_is_string(given))/if (!given)/'
        wrong 'more dimensions than there is room for' "$few" 's/if (!json_is_array(j) || json_array_size(j) > TENSOR_RANK)/if (!json_is_array(j))/'
        wrong 'fields that are longer than their room' "$few" 's/known\[100\]/known[10]/'
        ;;
    shards)
        few='-DPART=1 -DMEMBERS=1 -DTEXT=16'
        right 'names of up to 3 bytes and an end' "$few"
        for n in 0 1 2; do right "an index with a map of $n" "-DPART=2 -DMEMBERS=$n -DTEXT=2"; done
        wrong 'more shards than there is room for' "$few" 's/if (x->shards == SHARDS) {/if (0) {/'
        wrong 'no room for the NUL after a path' "$few" 's/malloc(n + strlen(file) + 1)/malloc(n + strlen(file))/'
        wrong 'a name shorter than its end' "$few" 's/return n > m \&\& strcmp/return strcmp/'
        wrong 'a file that is no text' '-DPART=2 -DMEMBERS=1 -DTEXT=2' 's/if (!json_is_string(file))/if (0)/'
        wrong 'room for one tensor' '-DPART=2 -DMEMBERS=2 -DTEXT=2' 's/calloc(json_object_size(map), sizeof/calloc(1, sizeof/'
        wrong 'a name that was not copied' '-DPART=2 -DMEMBERS=2 -DTEXT=2' 's/if (!path || !copy) return/if (!path) return/'
        ;;
    dump)
        few='-DFILE_SIZE=0 -DTEXT=2' any='-DFORMAT=TENSOR_NPY -DHEAD=2'
        right 'rows of up to 2 elements of a file' "-DPART=1 -DARCHIVE=0 $any $few"
        right 'rows of up to 2 elements of a compressed entry' "-DPART=1 -DARCHIVE=1 $any $few"
        right 'the matrices of a tensor of any shape' "-DPART=2 $any $few"
        right 'the opening of safetensors with 2 tensors' "-DPART=3 -DFORMAT=TENSOR_SAFETENSORS -DHEAD=2 $few"
        right 'the opening of an .npz with up to 2 entries' "-DPART=3 -DFORMAT=TENSOR_NPZ -DHEAD=1 $few"
        whole="-DFORMAT=TENSOR_SAFETENSORS -DHEAD=0 -DFILE_LEAST=9 -DFILE_MOST=9 -DANY_PIECES=0 -DANY_LARGE -DANY_RANK=2 -DANY_FORTRAN=0 $few"
        all="-DPART=4 -DPATTERNS=0 -DFILES=1 -DTENSORS=2 $whole" one="-DPART=4 -DPATTERNS=1 -DFILES=1 -DTENSORS=2 $whole" index="-DPART=4 -DPATTERNS=0 -DFILES=1 -DINDEX=2 -DTENSORS=1 $whole"
        right 'a dump of 2 tensors' "$all"
        right 'a dump of those of 2 tensors that have a pattern' "$one" 8
        right 'a dump of 2 files' "-DPART=4 -DPATTERNS=1 -DFILES=2 -DTENSORS=1 $whole" 6
        right 'a dump of the 2 shards of an index' "$index"
        wrong 'a row longer than its room' "-DPART=1 -DARCHIVE=0 $any $few" 's/malloc(rows \* m->p \* tensor_dtype_size(m->dtype) + 1)/malloc(rows * m->p)/'
        wrong 'what was not read taken for numbers' "-DPART=1 -DARCHIVE=0 $any $few" 's/return result == 0 ? check_finite(\(.*\)) : result;/return check_finite(\1);/'
        wrong 'more passed over at once than there is room for' "-DPART=1 -DARCHIVE=1 $any $few" 's/zip_fread(stream->file, passed, step)/zip_fread(stream->file, passed, at - stream->at)/'
        wrong 'more matrices than there is room for' "-DPART=2 $any $few" 's/if (d->matrices == DUMP_MATRICES)/if (0)/'
        wrong 'room for one entry' "-DPART=3 -DFORMAT=TENSOR_NPZ -DHEAD=1 $few" 's/calloc((size_t)entries + 1, sizeof \*s->entry)/calloc(1, sizeof *s->entry)/'
        wrong 'a header without room' "-DPART=3 -DFORMAT=TENSOR_SAFETENSORS -DHEAD=2 $few" 's/realloc(head, need)/realloc(head, need - have)/'
        wrong 'room for one tensor' "$all" 's/calloc(tensors + 1, sizeof \*found)/calloc(1, sizeof *found)/'
        wrong 'a pattern that a tensor does not have' "$one" 's/return c->patterns == 0 || \*pattern < c->patterns;/return true;/'
        wrong 'room for one that is left out' "$all" 's/realloc(d->left, (d->left_out + 1) \* sizeof/realloc(d->left, sizeof/'
        wrong 'room for one shard' "$index" 's/realloc(d->source, (d->sources + x.shards + 1) \* sizeof/realloc(d->source, (d->sources + 1) * sizeof/'
        ;;
    prompt)
        right 'sizes of 16 letters' "-DPART=1 -DTEXT=16"
        right 'metadata and names of up to 16 bytes' "-DPART=2 -DTEXT=16"
        right 'parameters of up to 3 bytes besides others of up to 2' "-DPART=3 -DTEXT=3" 5
        right 'values of each dtype' "-DPART=4 -DTEXT=16"
        wrong 'room for a letter too few' "-DPART=1 -DTEXT=16" 's/binding b\[OP_DIMS\]/binding b[OP_DIMS - 1]/'
        wrong 'a letter past those that are bound' "-DPART=1 -DTEXT=16" 's/while (i < \*n \&\& b\[i\]/while (b[i]/'
        wrong 'sizes longer than their room' "-DPART=1 -DTEXT=16" 's/at += (size_t)snprintf(dims + at/at += 2 * (size_t)snprintf(dims + at/'
        wrong 'an operation that is unknown' "-DPART=2 -DTEXT=16" 's/if (!r->op) return fail(r, "metadata: op is/if (0) return fail(r, "metadata: op is/'
        wrong 'no room for the parameters' "-DPART=3 -DTEXT=3" 's/= strlen(set) + (base ? strlen(base) : 0) + 2;/= 2;/'
        wrong 'a parameter past the end' "-DPART=3 -DTEXT=3" "s/p += item + (p\[item\] == ',')/p += item + 1/"
        wrong 'values of another shape' "-DPART=4 -DTEXT=16" 's/if (!same) return wrong_shape(r, t, got, prefix, NULL);//'
        wrong 'values of another type' "-DPART=4 -DTEXT=16" 's/if (!check_dtype(r, prefix, t->name, t->flags \& OP_I64, got)) return false;//'
        ;;
    *)
        echo "eva: $reader: there is no such reader" >&2
        failed=1
        ;;
    esac
done
sh "$root/verify/strength/side_by_side.sh" <"$work/lines" || failed=1
exit "$failed"
