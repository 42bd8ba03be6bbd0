# What scripts that print TAP share; read with `.` after `work`, a folder, is set.
n=0

point() { # point STATUS DESCRIPTION
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else
        echo "not ok $n - $2"
        tail -n 30 "$work/log" | sed 's/^/# /'
    fi
}

skip() { # skip DESCRIPTION REASON
    n=$((n + 1))
    echo "ok $n - $1 # SKIP $2"
}

# expect STATUS TEXT COMMAND...: 0 if the command's exit status is STATUS and its output has TEXT
expect() {
    wanted=$1
    text=$2
    shift 2
    "$@" >"$work/log" 2>&1
    got=$?
    [ "$got" -eq "$wanted" ] || { echo "exit status $got instead of $wanted: $*" >>"$work/log"; return 1; }
    grep -qF -e "$text" "$work/log" || { echo "the output lacks '$text': $*" >>"$work/log"; return 1; }
}
