/* smoeref explain: one operation, from the paper to the code. */
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "twin.h"
#include "verify/oracle/evidence_table.h"

static const cli_option options[] = {{NULL, NULL, NULL}};
static const cli_command command = {
    "explain",
    "OP",
    "Says what an operation computes, where that comes from and how surely, what others do instead, and where its\n"
    "specification and its code are.",
    options,
};

/* The files of the chapter that an equation's letter names. */
static const struct {
    char letter;
    const char *spec, *twin, *client;
} chapters[] = {
    {'N', "spec/00-numerics.md", "verify/enclosure/twin_numerics.c", "verify/clients/torch/numerics.py"},
    {'E', "spec/01-expert.md", "verify/enclosure/twin_expert.c", "verify/clients/torch/expert.py"},
    {'G', "spec/02-gate.md", "verify/enclosure/twin_gate.c", "verify/clients/torch/gate.py"},
    {'L', "spec/03-layer.md", "verify/enclosure/twin_layer.c", "verify/clients/torch/layer.py"},
    {'B', "spec/04-balance.md", "verify/enclosure/twin_balance.c", "verify/clients/torch/balance.py"},
    {'C', "spec/05-compete.md", "verify/enclosure/twin_compete.c", "verify/clients/torch/compete.py"},
    {'K', "spec/06-similarity.md", "verify/enclosure/twin_similarity.c", "verify/clients/torch/similarity.py"},
    {'S', "spec/07-simsmoe.md", "verify/enclosure/twin_simsmoe.c", "verify/clients/torch/simsmoe.py"},
    {'T', "spec/08-convergence.md", "verify/enclosure/twin_convergence.c", "verify/clients/torch/convergence.py"},
};

static size_t chapter_of(char letter)
{
    for (size_t i = 0; i < sizeof chapters / sizeof *chapters; i++)
        if (chapters[i].letter == letter) return i;
    abort(); /* check_registry sees every equation of every record in its chapter */
}

enum { LABEL = 12, NAME = 30, WIDTH = 100 };

/* A label, then text from a column on, in lines of at most WIDTH; a label that reaches into it has its own line. */
static void paragraph(size_t indent, const char *label, const char *text)
{
    printf("%-*s", (int)indent, label);
    if (strlen(label) >= indent) printf("\n%*s", (int)indent, "");
    size_t column = indent;
    for (const char *p = text; *p;) {
        const size_t n = strcspn(p, " ");
        if (column > indent && column + 1 + n > WIDTH) {
            printf("\n%*s", (int)indent, "");
            column = indent;
        }
        printf("%s%.*s", column > indent ? " " : "", (int)n, p);
        column += n + (column > indent);
        p += n + strspn(p + n, " ");
    }
    putchar('\n');
}

static const char *judged(const op_tensor *t)
{
    if (t->flags & OP_MARGIN) return "shown, never judged; optional in an answer";
    switch (t->kind) {
    case OP_INPUT:
        if (t->flags & OP_OPTIONAL) return "no gradient; may be missing";
        return t->flags & OP_DIFF ? "its gradient is owed" : "no gradient";
    case OP_BOUNDED:
        return t->flags & OP_DIFF ? "judged by a bound; has a cotangent" : "judged by a bound";
    case OP_EXACT:
        return "judged bit for bit";
    case OP_DECISION:
        return t->flags & OP_OPTIONAL ? "a decision; optional in an answer" : "a decision";
    case OP_STAGE:
        return "an intermediate value; optional in an answer";
    }
    return "";
}

static void print_tensors(const char *label, const op_tensor *t)
{
    for (; t->name; t++, label = "") {
        char left[120], text[600];
        snprintf(left, sizeof left, "%-*s%s[%s]", LABEL, label, t->name, t->shape);
        snprintf(text, sizeof text, "%s (%s%s)", t->meaning ? t->meaning : "", t->flags & OP_I64 ? "I64; " : "",
                 judged(t));
        paragraph(NAME, left, text);
    }
}

static void print_params(const op_param *p)
{
    const char *label = "parameters";
    if (!p || !p->name) return;
    for (; p->name; p++, label = "") {
        char left[240];
        snprintf(left, sizeof left, "%-*s%s=%s", LABEL, label, p->name, p->values);
        paragraph(NAME, left, p->meaning ? p->meaning : "");
    }
    paragraph(NAME, "", "(the default is shown; of several values it is the first)");
}

static void print_spec(const op_record *op)
{
    char text[600] = "";
    size_t at = 0;
    char last = '\0';
    for (const char *p = op->equations; *p && at < sizeof text;) {
        const size_t n = strcspn(p, " ");
        if (*p != last) at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", at ? "; " : "", chapters[chapter_of(*p)].spec);
        if (at < sizeof text) at += (size_t)snprintf(text + at, sizeof text - at, " (%.*s)", (int)n, p);
        last = *p;
        p += n + (p[n] == ' ');
    }
    paragraph(LABEL, "spec", text);
}

/* --- evidence ----------------------------------------------------------------------------------------------------- */

enum { LIST = 4000 };

static void append(char list[LIST], const char *separator, const char *text)
{
    const size_t at = strlen(list);
    snprintf(list + at, LIST - at, "%s%s", at ? separator : "", text);
}

static bool has_equation(const op_record *op, const char *equation)
{
    const size_t length = strlen(equation);
    for (const char *p = op->equations; *p; p += strcspn(p, " "), p += strspn(p, " "))
        if (strcspn(p, " ") == length && strncmp(p, equation, length) == 0) return true;
    return false;
}

/* What there is of one kind for the operation's equations: file: name, name; file: ... */
static const char *evidence_of(const op_record *op, const char *kind, char list[LIST])
{
    const char *file = NULL;
    char seen[LIST] = " ";
    list[0] = '\0';
    for (size_t i = 0; evidence_table[i].kind; i++) {
        if (strcmp(evidence_table[i].kind, kind) != 0 || !has_equation(op, evidence_table[i].equation)) continue;
        char word[120];
        snprintf(word, sizeof word, " %s ", evidence_table[i].name);
        if (strstr(seen, word)) continue; /* one test or function, several equations */
        append(seen, "", word + 1);
        const bool same = file && strcmp(file, evidence_table[i].file) == 0;
        if (!same) append(list, "; ", evidence_table[i].file);
        append(list, same ? ", " : ": ", evidence_table[i].name);
        file = evidence_table[i].file;
    }
    return list;
}

static void print_evidence_line(bool first, const char *kind, const char *text)
{
    char left[64];
    snprintf(left, sizeof left, "%-*s%s", LABEL, first ? "evidence" : "", kind);
    paragraph(NAME, left, *text ? text : "none; the specification's section says why");
}

static void print_evidence(const op_record *op)
{
    static const char *const kinds[][2] = {
        {"hand", "by hand"}, {"gradient", "gradient"}, {"properties", "properties"}, {"proved", "proved contracts"}};
    char list[LIST], text[200];
    const size_t chapter = chapter_of(op->equations[0]);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        print_evidence_line(i == 0, kinds[i][1], evidence_of(op, kinds[i][0], list));
    snprintf(text, sizeof text, "%s, a second implementation in ball arithmetic (make certify)", chapters[chapter].twin);
    print_evidence_line(false, "enclosure", text);
    snprintf(text, sizeof text, "%s, a third one in PyTorch", chapters[chapter].client);
    print_evidence_line(false, "autograd", text);
    print_evidence_line(false, "fuzzing", "fuzz/fuzz_ops.c");
}

static void print_variants(const op_record *op)
{
    bool any = false;
    for (const twin_variant *v = twin_variants; v->op; v++) {
        if (strcmp(v->op, op->id) != 0) continue;
        char text[1200];
        if (!any) printf("\nKnown wrong variants, which `smoeref diff` names when an answer matches one:\n");
        any = true;
        printf("  %s\n", v->name);
        snprintf(text, sizeof text, "%s (%s)", v->formula, v->effect);
        paragraph(LABEL + 2, "    computes", text);
        paragraph(LABEL + 2, "    met in", v->met);
    }
}

static void print_cases(const op_record *op)
{
    printf("\nCases of `smoeref gen`:\n");
    for (const op_spec *c = op->cases; c && c->name; c++) {
        char left[120];
        snprintf(left, sizeof left, "  %-16s %s", c->suite, c->name);
        paragraph(40, left, c->why);
    }
}

static int explain(const op_record *op)
{
    const bool colour = cli_colour(stdout);
    printf("%s%s%s: %s\n\n", colour ? "\033[1m" : "", op->id, colour ? "\033[0m" : "", op->title);
    paragraph(LABEL, "formula", op->formula);
    paragraph(LABEL, "source", op->source);
    print_spec(op);
    paragraph(LABEL, "code", op->code);
    putchar('\n');
    print_tensors("inputs", op->in);
    print_params(op->param);
    print_tensors("outputs", op->out);
    putchar('\n');
    print_evidence(op);
    print_variants(op);
    print_cases(op);
    return STATUS_PASS;
}

int cmd_explain(int argc, char **argv)
{
    cli p = cli_start(&command, argc, argv);
    op_list ops = {.count = 0};
    const char *value;
    for (int o; (o = cli_next(&p, &value)) != CLI_END;) {
        if (o == CLI_STOP) return p.status;
        if (cli_add_ops(&command, &ops, value) != 0) return STATUS_USAGE;
    }
    if (ops.count == 0) return cli_usage(&command, "which operation?");
    for (size_t i = 0; i < ops.count; i++) {
        if (i) printf("\n----\n\n");
        explain(ops.op[i]);
    }
    return STATUS_PASS;
}
