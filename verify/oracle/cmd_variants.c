/* smoeref variants: the catalogue of known wrong variants. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cmd.h"
#include "twin.h"

enum { OPTION_CLASS, OPTION_JSON };
static const cli_option options[] = {
    [OPTION_CLASS] = {"--class", "NAME", "this class of mistakes only, e.g. LblProbOverTK"},
    [OPTION_JSON] = {"--json", NULL, "for programs"},
    {NULL, NULL, NULL},
};
static const cli_command command = {
    "variants",
    "[OP ...] [CLASS] [--json]",
    "Lists the wrong variants that a failing answer is compared with: what the mistake is, what it does, where it was "
    "met. "
    "OP is an operation (balance.switch) or a chapter (balance), CLASS a class of mistakes (LblProbOverTK).",
    options,
};

static bool listed(const op_list *ops, const twin_variant *v, const char *name)
{
    bool found = false;
    for (size_t i = 0; i < ops->count; i++) found |= strcmp(ops->op[i]->id, v->op) == 0;
    return found && (!name || strcmp(v->name, name) == 0);
}

static int print_json(const op_list *ops, const char *name)
{
    json_t *list = json_array();
    for (const twin_variant *v = twin_variants; v->op; v++)
        if (listed(ops, v, name))
            json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s}", "class", v->name, "op", v->op, "formula",
                                                  v->formula, "effect", v->effect, "met", v->met));
    char *text = json_dumps(list, JSON_INDENT(1) | JSON_ENSURE_ASCII);
    if (text) puts(text);
    free(text);
    json_decref(list);
    return text ? STATUS_PASS : cli_input("out of memory");
}

/* A class once, with every operation in which it can happen. */
static int print_text(const op_list *ops, const char *name)
{
    const bool colour = cli_colour(stdout);
    size_t classes = 0, rows = 0;
    for (const twin_variant *v = twin_variants; v->op; v++) {
        bool first = listed(ops, v, name);
        for (const twin_variant *w = twin_variants; w < v && first; w++)
            first = !(listed(ops, w, name) && strcmp(w->name, v->name) == 0);
        if (!first) continue;
        classes++;
        printf("%s%s%s\n", colour ? "\033[1m" : "", v->name, colour ? "\033[0m" : "");
        for (const twin_variant *w = v; w->op; w++) {
            if (!listed(ops, w, name) || strcmp(w->name, v->name) != 0) continue;
            rows++;
            printf("    %s\n        effect: %s\n        met in: %s\n", w->formula, w->effect, w->met);
        }
    }
    printf("%zu class%s, %zu variant%s\n", classes, classes == 1 ? "" : "es", rows, rows == 1 ? "" : "s");
    return STATUS_PASS;
}

static bool known_class(const char *name, const char **list)
{
    size_t n = 0;
    bool found = false;
    for (const twin_variant *v = twin_variants; v->op; v++) {
        list[n++] = v->name;
        found |= strcmp(v->name, name) == 0;
    }
    list[n] = NULL;
    return found;
}

int cmd_variants(int argc, char **argv)
{
    static const char *classes[TWIN_VARIANTS + 1];
    cli p = cli_start(&command, argc, argv);
    op_list ops = {.count = 0};
    bool json = false;
    const char *value, *name = NULL;
    for (int o; (o = cli_next(&p, &value)) != CLI_END;) {
        if (o == CLI_STOP) return p.status;
        if (o == OPTION_JSON)
            json = true;
        else if (o == OPTION_CLASS || (o == CLI_WORD && known_class(value, classes)))
            name = value;
        else if (cli_add_ops(&command, &ops, value) != 0)
            return STATUS_USAGE;
    }
    if (name && !known_class(name, classes)) {
        const char *near = cli_nearest(name, classes);
        return cli_usage(&command, "no class '%.80s'%s%s%s", name, near ? "; did you mean '" : "", near ? near : "",
                         near ? "'?" : "");
    }
    cli_sort_ops(&ops);
    return json ? print_json(&ops, name) : print_text(&ops, name);
}
