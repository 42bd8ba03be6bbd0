/* smoeref list: what there is. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cmd.h"
#include "twin.h"

enum { OPTION_JSON };
static const cli_option options[] = {
    [OPTION_JSON] = {"--json", NULL, "everything about them, for programs"},
    {NULL, NULL, NULL},
};
static const cli_command command = {
    "list",
    "[OP ...] [--json]",
    "Lists the operations with their tensors and parameters. OP is an operation (balance.switch) or a chapter "
    "(balance).",
    options,
};

/* --- JSON -------------------------------------------------------------------------------------------------------- */

/* The items of a list in which they are set apart by one of `separators`. */
static json_t *split(const char *text, const char *separators)
{
    json_t *list = json_array();
    for (const char *p = text + strspn(text, separators); *p; p += strspn(p, separators)) {
        const size_t n = strcspn(p, separators);
        json_array_append_new(list, json_stringn(p, n));
        p += n;
    }
    return list;
}

static const char *kind_name(op_kind kind)
{
    switch (kind) {
    case OP_INPUT:
        return "input";
    case OP_BOUNDED:
        return "bounded";
    case OP_EXACT:
        return "exact";
    case OP_DECISION:
        return "decision";
    case OP_STAGE:
        return "stage";
    }
    return "";
}

static json_t *tensor_json(const op_tensor *t)
{
    json_t *j = json_pack("{s:s, s:o, s:s, s:b, s:s}", "name", t->name, "shape", split(t->shape, ","), "dtype",
                          t->flags & OP_I64 ? "I64" : "F64", "differentiable", (t->flags & OP_DIFF) != 0, "meaning",
                          t->meaning ? t->meaning : "");
    if (t->kind != OP_INPUT)
        json_object_set_new(j, "kind", json_string(t->flags & OP_MARGIN ? "margin" : kind_name(t->kind)));
    json_object_set_new(j, "optional", json_boolean(t->kind == OP_STAGE || (t->flags & OP_OPTIONAL)));
    return j;
}

static json_t *tensors_json(const op_tensor *t)
{
    json_t *list = json_array();
    for (; t->name; t++) json_array_append_new(list, tensor_json(t));
    return list;
}

static json_t *params_json(const op_param *p)
{
    static const char *const type[] = {[OP_INT] = "integer", [OP_REAL] = "real", [OP_CHOICE] = "choice"};
    json_t *list = json_array();
    for (; p && p->name; p++) {
        json_t *j =
            json_pack("{s:s, s:s, s:o, s:s}", "name", p->name, "type", type[p->type], "default",
                      json_stringn(p->values, strcspn(p->values, "|")), "meaning", p->meaning ? p->meaning : "");
        if (p->type == OP_CHOICE) json_object_set_new(j, "values", split(p->values, "|"));
        json_array_append_new(list, j);
    }
    return list;
}

static json_t *cases_json(const op_spec *c)
{
    json_t *list = json_array();
    for (; c && c->name; c++)
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:s, s:o, s:s}", "name", c->name, "suite", c->suite, "sizes",
                                        c->dims, "parameters", c->set, "flags", split(c->flags, ","), "why", c->why));
    return list;
}

static json_t *variants_json(const char *id)
{
    json_t *list = json_array();
    for (const twin_variant *v = twin_variants; v->op; v++)
        if (strcmp(v->op, id) == 0)
            json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "name", v->name, "formula", v->formula,
                                                  "effect", v->effect, "met", v->met));
    return list;
}

static json_t *op_json(const op_record *op)
{
    return json_pack("{s:s, s:s, s:o, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "id", op->id, "title", op->title,
                     "equations", split(op->equations, " "), "formula", op->formula, "source", op->source, "code",
                     op->code, "inputs", tensors_json(op->in), "parameters", params_json(op->param), "outputs",
                     tensors_json(op->out), "cases", cases_json(op->cases), "variants", variants_json(op->id));
}

static int print_json(const op_list *ops)
{
    json_t *list = json_array(), *precisions = json_array();
    for (size_t i = 0; i < ops->count; i++) json_array_append_new(list, op_json(ops->op[i]));
    for (const twin_profile *p = twin_profiles; p->name; p++) json_array_append_new(precisions, json_string(p->name));
    json_t *all = json_pack("{s:s, s:o, s:o}", "smoeref", cli_version, "precisions", precisions, "operations", list);
    char *text = all ? json_dumps(all, JSON_INDENT(1) | JSON_ENSURE_ASCII) : NULL;
    if (text) puts(text);
    free(text);
    json_decref(all);
    return text ? STATUS_PASS : cli_input("out of memory");
}

/* --- text -------------------------------------------------------------------------------------------------------- */

static void print_tensors(const op_tensor *t)
{
    for (; t->name; t++) printf(" %s[%s]", t->name, t->shape);
}

static int print_text(const op_list *ops)
{
    const bool colour = cli_colour(stdout);
    for (size_t i = 0; i < ops->count; i++) {
        const op_record *op = ops->op[i];
        printf("%s%-22s%s %s\n   ", colour ? "\033[1m" : "", op->id, colour ? "\033[0m" : "", op->title);
        print_tensors(op->in);
        for (const op_param *p = op->param; p && p->name; p++)
            printf("%s %s=%s", p == op->param ? "  |" : "", p->name, p->values);
        printf("  ->");
        print_tensors(op->out);
        putchar('\n');
    }
    return STATUS_PASS;
}

int cmd_list(int argc, char **argv)
{
    cli p = cli_start(&command, argc, argv);
    op_list ops = {.count = 0};
    bool json = false;
    const char *value;
    for (int o; (o = cli_next(&p, &value)) != CLI_END;) {
        if (o == CLI_STOP) return p.status;
        if (o == OPTION_JSON)
            json = true;
        else if (cli_add_ops(&command, &ops, value) != 0)
            return STATUS_USAGE;
    }
    cli_sort_ops(&ops);
    return json ? print_json(&ops) : print_text(&ops);
}
