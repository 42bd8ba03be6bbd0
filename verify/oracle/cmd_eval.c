/* smoeref eval: your inputs through the reference. */
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "prompt.h"
#include "twin.h"

enum { OPTION_IN, OPTION_OUT, OPTION_SET, OPTION_VARIANT };
static const cli_option options[] = {
    [OPTION_IN] = {"--in", "FILE", "the inputs; tensors d_<output> among them ask for gradients"},
    [OPTION_OUT] = {"--out", "FILE", "where to write outputs and gradients (safetensors)"},
    [OPTION_SET] = {"--set", "NAME=VALUE,...", "parameters, in the place of those in the file's metadata"},
    [OPTION_VARIANT] = {"--variant", "NAME", "compute this known wrong variant instead (see smoeref explain OP)"},
    {NULL, NULL, NULL},
};
static const cli_command command = {
    "eval",
    "[OP] --in FILE --out FILE [--set NAME=VALUE,...] [--variant NAME]",
    "Evaluates an operation on the tensors of a file. OP may be left out if the file's metadata has the key op.",
    options,
};

typedef struct {
    const op_record *op;
    const char *in, *out, *variant;
    char *set;
} arguments;

/* Appends to a comma-separated list; --set may be given more than once. */
static bool append(char **list, const char *items)
{
    char *joined = NULL;
    if (*items == '\0') return true;
    if (asprintf(&joined, "%s%s%s", *list ? *list : "", *list ? "," : "", items) < 0) return false;
    free(*list);
    *list = joined;
    return true;
}

static int check_variant(const arguments *a, const op_record *op)
{
    const char *names[64];
    size_t n = 0;
    for (const twin_variant *v = twin_variants; v->op && n < 63; v++) {
        if (strcmp(v->op, op->id) != 0) continue;
        if (strcmp(v->name, a->variant) == 0) return 0;
        names[n++] = v->name;
    }
    names[n] = NULL;
    const char *near = cli_nearest(a->variant, names);
    return cli_usage(&command, "%s has no variant '%.80s'%s%s%s", op->id, a->variant, near ? "; did you mean '" : "",
                     near ? near : "", near ? "'?" : "");
}

static void take(op_value *to, const twin_tensor *from)
{
    if (to->f64 && from->count == to->count && from->hi) memcpy(to->f64, from->hi, to->count * sizeof *to->f64);
}

/* The variant as the twin computes it under the reference's decisions, rounded to the nearest doubles. */
static int run_variant(op_case *c, const char *variant)
{
    char err[TENSOR_ERROR];
    twin_result r = {0};
    if (twin_run(c, NULL, variant, 128, &r, err, sizeof err) != 0) return cli_input("%s: %s", c->op->id, err);
    for (size_t i = 0; i < OP_TENSORS; i++) {
        take(&c->out[i], &r.out[i]);
        take(&c->grad[i], &r.grad[i]);
    }
    twin_result_clear(&r);
    return 0;
}

static int write_answer(const op_case *c, const arguments *a, const char *name, bool gradients)
{
    char err[TENSOR_ERROR];
    tensor_file f = {0};
    char *parameters = op_parameters_json(c);
    int bad = parameters ? tensor_file_add_meta(&f, "op", c->op->id) : -1;
    if (!bad) bad = tensor_file_add_meta(&f, "parameters", parameters);
    if (!bad && name) bad = tensor_file_add_meta(&f, "case", name);
    if (!bad && a->variant) bad = tensor_file_add_meta(&f, "variant", a->variant);
    if (!bad) bad = op_add_answer(&f, c, gradients);
    if (bad)
        bad = cli_input("out of memory");
    else if (tensor_file_write(a->out, &f, err, sizeof err) != 0)
        bad = cli_input("%s", err);
    free(parameters);
    tensor_file_clear(&f);
    return bad;
}

/* Why there is no case: is it --set?  It is, if there is one without. */
static int no_case(const arguments *a, const char *why)
{
    char err[TENSOR_ERROR * 2];
    op_case *without = a->set ? op_case_from_prompt(a->in, a->op, NULL, NULL, NULL, err, sizeof err) : NULL;
    if (!without) return cli_input("%s", why);
    op_case_free(without);
    return cli_usage(&command, "--set %.200s: %s", a->set, why);
}

static int eval(const arguments *a)
{
    char err[TENSOR_ERROR * 2], *name = NULL;
    size_t cotangents;
    op_case *c = op_case_from_prompt(a->in, a->op, a->set, &name, &cotangents, err, sizeof err);
    if (!c) return no_case(a, err);
    int status = a->variant ? check_variant(a, c->op) : 0;
    if (status == 0) {
        const smoe_status s = cotangents > 0 ? op_run(c) : c->op->forward(c);
        if (s != SMOE_OK) status = cli_input("%s: %s: %s", a->in, c->op->id, smoe_strerror(s));
    }
    if (status == 0 && a->variant) status = run_variant(c, a->variant);
    if (status == 0) status = write_answer(c, a, name, cotangents > 0);
    free(name);
    op_case_free(c);
    return status;
}

static int parse(cli *p, arguments *a)
{
    op_list ops = {.count = 0};
    const char *value;
    for (int o; (o = cli_next(p, &value)) != CLI_END;) {
        switch (o) {
        case CLI_STOP:
            return p->status;
        case OPTION_IN:
            a->in = value;
            break;
        case OPTION_OUT:
            a->out = value;
            break;
        case OPTION_VARIANT:
            a->variant = value;
            break;
        case OPTION_SET:
            if (!append(&a->set, value)) return cli_input("out of memory");
            break;
        default:
            if (cli_add_ops(&command, &ops, value) != 0) return STATUS_USAGE;
        }
    }
    if (ops.count > 1) return cli_usage(&command, "one operation at a time");
    a->op = ops.count ? ops.op[0] : NULL;
    if (!a->in) return cli_usage(&command, "--in FILE is missing");
    if (!a->out) return cli_usage(&command, "--out FILE is missing");
    return -1;
}

int cmd_eval(int argc, char **argv)
{
    cli p = cli_start(&command, argc, argv);
    arguments a = {NULL, NULL, NULL, NULL, NULL};
    int status = parse(&p, &a);
    if (status < 0) status = eval(&a);
    free(a.set);
    return status;
}
