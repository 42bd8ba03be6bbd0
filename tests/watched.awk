# Functions that stand before those of libsmoeref with the same names, and watch each call: tests/check_refusals.c includes them.
#
#     awk -f watched.awk ref/X.h ...
#
# From a header come the declaration and, out of the contract above it, how many elements each array has, whether it is only read,
# and for which sizes of zero SMOE_EINVAL is promised.  Functions of another type than smoe_status are left alone.  Of those that
# are given a structure to write into, or an array whose length the contract does not say, no array is watched.
{
    if ($0 !~ /^#/) text = text " " $0
}

# The text without its comments, but with its contracts.
function without_comments(s,    kept, at)
{
    kept = ""
    while ((at = index(s, "/*")) > 0) {
        if (substr(s, at + 2, 1) == "@") {
            kept = kept substr(s, 1, at + 2)
            s = substr(s, at + 3)
            at = index(s, "*/")
            kept = kept substr(s, 1, at + 1)
        } else {
            kept = kept substr(s, 1, at - 1)
            s = substr(s, at)
            at = index(s, "*/")
        }
        s = substr(s, at + 2)
    }
    return kept s
}

# What stands in the brackets that open at the start of s.
function bracketed(s,    depth, i, c)
{
    depth = 0
    for (i = 1; i <= length(s); i++) {
        c = substr(s, i, 1)
        if (c == "(") depth++
        if (c == ")" && --depth == 0) return substr(s, 2, i - 2)
    }
    return ""
}

function trimmed(s)
{
    gsub(/^ +| +$/, "", s)
    return s
}

# "const double *x": type "const double *", name "x".
function parse_variable(s)
{
    s = trimmed(s)
    match(s, /[A-Za-z_0-9]+$/)
    name = substr(s, RSTART)
    type = trimmed(substr(s, 1, RSTART - 1))
}

# The fields of a structure: field[structure] holds "type name;" by field, in order.
function parse_structure(body, structure,    part, n, i, one, m, j, base)
{
    n = split(body, part, ";")
    field[structure] = ""
    for (i = 1; i < n; i++) {
        m = split(part[i], one, ",")
        for (j = 1; j <= m; j++) {
            if (j == 1) {
                parse_variable(one[j])
                base = type
            } else {
                parse_variable(one[j])
                type = base
            }
            field[structure] = field[structure] type " " name ";"
        }
    }
}

# Sizes, enumerators and numbers: those of a parameter, or of a structure's fields.
function add_knob(t, path, lvalue, contract,    part, n, i, saved_type, kind)
{
    if (t in field) {
        n = split(field[t], part, ";")
        for (i = 1; i < n; i++) {
            if (part[i] ~ /\*/) continue
            parse_variable(part[i])
            add_knob(type, path (path ~ /->$/ ? "" : ".") name, lvalue "." name, contract)
            split(field[t], part, ";")
        }
        return
    }
    kind = t == "size_t" ? "A_SIZE" : t == "double" ? "A_NUMBER" : t ~ /^smoe_/ ? "AN_ENUMERATOR" : ""
    if (kind != "")
        knobs = knobs sprintf("        {\"%s\", %s, %d, &%s},\n", path, kind, index(contract, " " path " == 0 ") > 0, lvalue)
}

function add_arrays(contract,    s, reads, inside, base, last, root, lvalue, i)
{
    s = contract
    while (match(s, /\\valid(_read)?\(/)) {
        reads = substr(s, RSTART, RLENGTH) ~ /_read/
        s = substr(s, RSTART + RLENGTH - 1)
        inside = bracketed(s)
        if (inside ~ /\+ \(0 \.\./) {
            base = trimmed(substr(inside, 1, index(inside, "+ (0 ..") - 1))
            last = substr(inside, index(inside, "+ (0 ..") + 7)
            last = trimmed(substr(last, 1, length(last) - 1))
            last = last ~ /-1$/ ? substr(last, 1, length(last) - 2) : last " + 1"
        } else {
            base = trimmed(inside)
            last = "1"
        }
        root = base
        sub(/->.*/, "", root)
        if (!(root in kind_of) || base !~ /^[A-Za-z_0-9>.-]+$/) continue
        if (root == base && kind_of[root] in field) continue
        lvalue = base
        sub(/->/, "_.", lvalue)
        if (!(base in length_of)) {
            only_read[count] = 1
            place[count] = lvalue
            array[count] = base
            length_of[base] = count++
        }
        if (!reads) only_read[length_of[base]] = 0
        counts = counts sprintf("        at_least(&the_array[%d], %s ? (size_t)(%s) : 0);\n", length_of[base], lvalue, last)
    }
    for (i = 0; i < count; i++)
        arrays = arrays sprintf("        {\"%s\", %d, IS_REAL(*%s), sizeof *%s, 0, &%s},\n", array[i], only_read[i], place[i], place[i], place[i])
}

# mix_model, mix_sample and smoe_product are predicates that name arrays; `\let room = work + (0 .. L);` names one, too.
function spelt_out(s,    name, inside, argument, at, m, n, k)
{
    while (match(s, /\\let [a-z]+ = [a-z]+ \+ \(0 \.\. [^;]*\);/)) {
        inside = substr(s, RSTART + 5, RLENGTH - 6)
        s = substr(s, 1, RSTART - 1) substr(s, RSTART + RLENGTH)
        name = substr(inside, 1, index(inside, " ") - 1)
        sub(/^[a-z]+ = /, "", inside)
        gsub("\\(" name "\\)", "(" inside ")", s)
    }
    while (match(s, /smoe_product\(/)) {
        at = RSTART
        inside = bracketed(substr(s, RSTART + RLENGTH - 1))
        split(inside, argument, / *, */)
        m = "(" argument[1] ")"
        n = "(" argument[2] ")"
        k = "(" argument[3] ")"
        s = substr(s, 1, at - 1) "\\valid_read(" argument[4] " + (0 .. " m "*" k "-1)) && \\valid_read(" argument[5] " + (0 .. " k "*" n "-1)) && " \
            "\\valid(" argument[6] " + (0 .. " m "*" n "-1))" substr(s, at + length("smoe_product()") + length(inside))
    }
    while (match(s, /mix_(model|sample)\(/)) {
        name = substr(s, RSTART, RLENGTH - 1)
        at = RSTART
        inside = bracketed(substr(s, RSTART + RLENGTH - 1))
        split(inside, argument, / *, */)
        s = substr(s, 1, at - 1) (name == "mix_model" \
            ? "\\valid_read(" argument[2] " + (0 .. mix_all(" argument[1] ")-1)) && \\valid(" argument[3] " + (0 .. mix_w(" argument[1] ")-1))" \
            : "\\valid_read(" argument[3] " + (0 .. " argument[2] "*" argument[1] "->d-1)) && \\valid_read(" argument[4] " + (0 .. " argument[2] "-1))") \
            substr(s, at + length(name) + 2 + length(inside))
    }
    return s
}

function emit(declaration, contract,    head, inside, part, n, i, copies, lets, s, known, function_name, arguments, promised, bare)
{
    match(declaration, /smoe_[a-z_0-9]+\(/)
    function_name = substr(declaration, RSTART, RLENGTH - 1)
    inside = bracketed(substr(declaration, RSTART + RLENGTH - 1))
    n = split(inside, part, ",")
    for (i in kind_of) delete kind_of[i]
    for (i in length_of) delete length_of[i]
    knobs = arrays = counts = copies = lets = arguments = ""
    count = bare = 0
    contract = spelt_out(contract)
    promised = ""
    s = contract
    while (match(s, /ensures [^;]*==> \\result == SMOE_EINVAL/)) {
        promised = promised " " substr(s, RSTART + 8, RLENGTH - 8 - length("==> \\result == SMOE_EINVAL")) " "
        s = substr(s, RSTART + RLENGTH)
    }
    if (promised ~ /&&/) promised = ""
    for (i = 1; i <= n; i++) {
        parse_variable(part[i])
        arguments = arguments (i > 1 ? ", " : "") name
        known = type
        gsub(/const|\*| /, "", known)
        kind_of[name] = known
        if (type !~ /\*/)
            add_knob(type, name, name, promised)
        else if (known in field) {
            if (type !~ /^const/) {
                bare = 1
                continue
            }
            parse_variable(part[i])
            copies = copies sprintf("    %s %s_ = *%s;\n    %s = &%s_;\n", known, name, name, name, name)
            add_knob(known, name "->", name "_", promised)
        }
    }
    gsub(/_\.\./, "_.", knobs)
    s = contract
    while (match(s, /\\let [A-Za-z_]+ = [^;]*;/)) {
        known = substr(s, RSTART + 5, RLENGTH - 5)
        s = substr(s, RSTART + RLENGTH)
        name = substr(known, 1, index(known, " ") - 1)
        if (!((name, function_name) in let)) {
            let[name, function_name] = 1
            lets = lets "        const size_t " known "\n        (void)" name ";\n"
        }
    }
    add_arrays(contract)
    for (i = 1; i <= n; i++) {
        parse_variable(part[i])
        if (type ~ /\*/ && !(kind_of[name] in field) && !(name in length_of)) bare = 1
    }
    if (function_name == "smoe_selftest") return
    bare = bare || !count
    printf "\nsmoe_status %s(%s)\n{\n", function_name, inside
    printf "    static watched the_function = {.name = \"%s\"};\n    smoe_status (*real_one)(%s);\n", function_name, inside
    printf "    find_next(&the_function, &real_one);\n"
    printf "    if (probe.busy) {\n        const bool fails = is_to_fail(the_function.name, __builtin_return_address(0));\n"
    printf "        probe.depth++;\n        const smoe_status status = real_one(%s);\n        probe.depth--;\n", arguments
    printf "        return fails ? probe.failure : status;\n    }\n"
    printf "    if (!is_watched(&the_function)) return real_one(%s);\n%s", arguments, copies
    if (!bare) printf "    array_of the_array[] = {\n%s    };\n", arrays
    printf "    const knob_of the_knob[] = {\n%s        {NULL, A_SIZE, 0, NULL},\n    };\n", knobs
    printf "    watch_start(&the_function, %s, the_knob);\n    while (watch_more(&the_function)) {\n", bare ? "0, NULL" : count ", the_array"
    if (!bare) printf "%s%s", lets, counts
    printf "        watch_place(&the_function);\n        watch_take(&the_function, real_one(%s));\n    }\n    return the_function.status;\n}\n", arguments
    table = table "    \"" function_name "\",\n"
}

END {
    text = without_comments(text)
    gsub(/[ \t]+/, " ", text)
    print "/* Made by watched.awk from the headers of ref/. */"
    rest = text # all structures first, in whatever order the headers come
    while (match(rest, /typedef struct \{[^}]*\} [a-z_]+;/)) {
        body = substr(rest, RSTART, RLENGTH)
        rest = substr(rest, RSTART + RLENGTH)
        structure = body
        sub(/^.*\} /, "", structure)
        sub(/;$/, "", structure)
        sub(/^typedef struct \{/, "", body)
        sub(/\}.*$/, "", body)
        parse_structure(body, structure)
    }
    contract = ""
    while ((text = trimmed(text)) != "") {
        if (substr(text, 1, 3) == "/*@") {
            at = index(text, "*/")
            contract = substr(text, 4, at - 4)
            text = substr(text, at + 2)
        } else if (match(text, /^typedef struct \{[^}]*\} [a-z_]+;/)) {
            text = substr(text, RLENGTH + 1)
        } else {
            at = index(text, ";")
            if (!at) break
            declaration = substr(text, 1, at)
            text = substr(text, at + 1)
            if (declaration ~ /^smoe_status smoe_/) emit(declaration, contract)
            contract = ""
        }
    }
    printf "\nstatic const char *const watched_names[] = {\n%s    NULL,\n};\n", table
}
