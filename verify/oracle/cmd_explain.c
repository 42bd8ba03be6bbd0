/* smoeref explain: one operation, from the paper to the code. */
#include <string.h>

#include "cmd.h"
#include "twin.h"

static const cli_option options[] = {{NULL, NULL, NULL}};
static const cli_command command = {
    "explain",
    "OP",
    "Says what an operation computes, where that comes from and how surely, what others do instead, and where its\n"
    "specification and its code are.",
    options,
};

/* The chapter of the specification that an equation's letter names. */
static const struct {
    char letter;
    const char *file;
} chapters[] = {
    {'N', "spec/00-numerics.md"}, {'E', "spec/01-expert.md"},  {'G', "spec/02-gate.md"},
    {'L', "spec/03-layer.md"},    {'B', "spec/04-balance.md"}, {'C', "spec/05-compete.md"},
};

static const char *chapter_of(char letter)
{
    for (size_t i = 0; i < sizeof chapters / sizeof *chapters; i++)
        if (chapters[i].letter == letter) return chapters[i].file;
    return "spec/";
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
    for (; p && p->name; p++, label = "") {
        char left[240], text[600];
        snprintf(left, sizeof left, "%-*s%s=%s", LABEL, label, p->name, p->values);
        snprintf(text, sizeof text, "%s%s", p->meaning ? p->meaning : "",
                 p->type == OP_CHOICE ? " (the first is the default)" : " (the default is shown)");
        paragraph(NAME, left, text);
    }
}

static void print_spec(const op_record *op)
{
    char text[600] = "";
    size_t at = 0;
    char last = '\0';
    for (const char *p = op->equations; *p && at < sizeof text;) {
        const size_t n = strcspn(p, " ");
        if (*p != last) at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", at ? "; " : "", chapter_of(*p));
        if (at < sizeof text) at += (size_t)snprintf(text + at, sizeof text - at, " (%.*s)", (int)n, p);
        last = *p;
        p += n + (p[n] == ' ');
    }
    paragraph(LABEL, "spec", text);
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
        snprintf(left, sizeof left, "  %-12s %s", c->suite, c->name);
        paragraph(36, left, c->why);
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
