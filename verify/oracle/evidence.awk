# What `smoeref explain` calls evidence, as the rows of a C table: the tests that carry a tag, and the proved functions.
#
#     awk -f evidence.awk verify/proofs/wp/goals.txt ref/X.h ... tests/check_X.c ...
#
# goals.txt names the functions that are proved.  In a header the comment above a declaration has the numbers of its
# equations, unless the declaration's own line ends in one.  In a test `evidence hand: B.3 B.4` speaks of the next
# START_TEST; the other kinds are gradient and properties.
function emit(kind, equation, file, name)
{
    row[++rows] = "    {\"" kind "\", \"" equation "\", \"" file "\", \"" name "\"},"
}

# Adds the numbers in parentheses of a text to number[1..numbers].
function collect(text)
{
    while (match(text, /\([A-Z]\.[0-9]+\)/)) {
        number[++numbers] = substr(text, RSTART + 1, RLENGTH - 2)
        text = substr(text, RSTART + RLENGTH)
    }
}

function emit_proved(name,    i, j)
{
    for (i = 1; i <= numbers; i++) {
        for (j = 1; j < i && number[j] != number[i]; j++) {}
        if (j == i) emit("proved", number[i], substr(FILENAME, 1, length(FILENAME) - 1) "c", name)
    }
}

FNR == 1 { waiting = numbers = 0 }

FILENAME ~ /goals\.txt$/ {
    if ($0 !~ /^#/)
        for (i = 3; i <= NF; i++) proved[$i] = 1
    next
}

FILENAME ~ /\.h$/ {
    if ($0 ~ /^\/\*/ && $0 !~ /^\/\*@/) numbers = 0
    if ($0 ~ /^(\/\*| \*) /) collect($0)
    line = $0
    if (line ~ /^\/\*@.*\*\//) line = substr(line, index(line, "*/") + 3)
    if (line ~ /^[a-z].*smoe_[a-z0-9_]+\(/ && line !~ /^typedef/) {
        match(line, /smoe_[a-z0-9_]+\(/)
        name = substr(line, RSTART, RLENGTH - 1)
        if (line ~ /\/\* \([A-Z]\.[0-9]+\)/) {
            numbers = 0
            collect(line)
        }
        if (name in proved) emit_proved(name)
    }
    next
}

match($0, /evidence (hand|gradient|properties): *[A-Z0-9. ]+/) {
    text = substr($0, RSTART + 9, RLENGTH - 9)
    split(text, part, ":")
    count = split(part[2], tag, " ")
    for (i = 1; i <= count; i++) {
        pending_kind[++waiting] = part[1]
        pending[waiting] = tag[i]
    }
}

match($0, /^START_TEST\([a-z0-9_]+\)/) {
    name = substr($0, 12, RLENGTH - 12)
    for (i = 1; i <= waiting; i++) emit(pending_kind[i], pending[i], FILENAME, name)
    waiting = 0
}

END {
    print "/* Made by evidence.awk from the tests, the headers and verify/proofs/wp/goals.txt. */"
    print "static const struct {\n    const char *kind, *equation, *file, *name;\n} evidence_table[] = {"
    for (i = 1; i <= rows; i++) print row[i]
    print "    {NULL, NULL, NULL, NULL},\n};"
}
