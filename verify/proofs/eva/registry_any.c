/* "T=5,N=4" and "k=2,order=...": any text for the sizes, and any for the parameters, of an operation that has every kind of tensor and
 * parameter; and, with the shortest, names and values as long as their room, and longer.  Left out is the table of operations. */
#define ANY_EDGE 512
#include "any.h"

#include "registry.c"

static const op_tensor in[] = {{"x", "T,d", OP_INPUT, OP_DIFF, ""}, {"i", "T,2", OP_INPUT, OP_I64, ""}, {0}};
static const op_tensor out[] = {{"y", "T,K", OP_BOUNDED, OP_DIFF, ""}, {"l", "", OP_EXACT, 0, ""}, {0}};
static const op_param whole[] = {{"k", OP_INT, "2", ""}, {0}}, real[] = {{"a", OP_REAL, "0.5", ""}, {0}},
                      choice[] = {{"o", OP_CHOICE, "yes|no", ""}, {0}},
                      all[] = {{"k", OP_INT, "2", ""}, {"a", OP_REAL, "0.5", ""}, {"o", OP_CHOICE, "yes|no", ""}, {0}};
static char text[TEXT + 1], err[64];

/* A parameter of each type has an operation of its own, and so have all together, whose names are a message of any length about its room. */
static void one(const op_param *param)
{
    const op_record op = {.id = "op", .in = in, .out = out, .param = param};
    Frama_C_make_unknown(text, TEXT);
    op_case_free(op_case_new(&op, "T=5,d=4", text, err, sizeof err));
}

static void unknown(void)
{
    const op_record op = {.id = "op", .in = in, .out = out, .param = all};
    op_case c = {.op = &op};
    set_params(&c, "x=1", err, sizeof err);
}

static void edges(void)
{
    char line[140], name[64], value[64];
    for (size_t n = 62; n < 66; n++)
        for (size_t v = 62; v < 66; v++) {
            const char *at = line;
            any_letters(any_letters(line, n, '='), v, '\0');
            next_pair(&at, name, value, err, sizeof err);
        }
}

int main(void)
{
    if (TEXT == 0) edges();
    const op_record op = {.id = "op", .in = in, .out = out, .param = whole};
    Frama_C_make_unknown(text, TEXT);
    op_case_free(op_case_new(&op, text, NULL, err, sizeof err));
    one(whole);
    one(real);
    one(choice);
    if (TEXT == 0) unknown();
    return 0;
}
