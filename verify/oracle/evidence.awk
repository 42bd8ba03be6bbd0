# The evidence tags of tests/check_*.c and the functions of verify/proofs/wp/goals.txt, as rows of C tables for cmd_explain.c.
#
#     awk -f evidence.awk TEST.c ... goals.txt
#
# A comment with `evidence hand: B.3 B.4` speaks of the next START_TEST; the other kinds are gradient and properties.
function stem(path) { sub(/.*\//, "", path); return path }

FNR == 1 { waiting = 0 }

FILENAME ~ /goals\.txt$/ {
    if ($0 !~ /^#/)
        for (i = 3; i <= NF; i++) proved[++functions] = $i
    next
}

match($0, /evidence (hand|gradient|properties): *[A-Z0-9. ]+/) {
    text = substr($0, RSTART + 9, RLENGTH - 9)
    split(text, part, ":")
    count = split(part[2], number, " ")
    for (i = 1; i <= count; i++) pending[++waiting] = "\"" part[1] "\", \"" number[i] "\""
}

match($0, /^START_TEST\([a-z0-9_]+\)/) {
    name = substr($0, 12, RLENGTH - 12)
    for (i = 1; i <= waiting; i++) row[++rows] = "    {" pending[i] ", \"tests/" stem(FILENAME) "\", \"" name "\"},"
    waiting = 0
}

END {
    print "/* Made by evidence.awk from the tests and verify/proofs/wp/goals.txt. */"
    print "static const struct {\n    const char *kind, *equation, *file, *test;\n} evidence_tests[] = {"
    for (i = 1; i <= rows; i++) print row[i]
    print "    {NULL, NULL, NULL, NULL},\n};"
    print "static const char *const evidence_proved[] = {"
    for (i = 1; i <= functions; i++) print "    \"" proved[i] "\","
    print "    NULL,\n};"
}
