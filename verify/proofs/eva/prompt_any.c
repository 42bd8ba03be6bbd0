/* The sizes that a prompt's tensors bind: tensors of any dtype, rank and sizes, as the inputs of an operation with OP_DIMS letters.
 *
 * What is assumed: "%s%c=%zu" prints at most 23 bytes.  Left out: all else. */
#define ANY_WIDE 23
#include "any.h"

#include "op.h"

static tensor any_tensor;
static const tensor *any_input(const char *name)
{
    any_read(name);
    if (Frama_C_nondet(0, 1)) return NULL;
    any_tensor.dtype = (tensor_dtype)Frama_C_interval(TENSOR_F64, TENSOR_I64);
    any_tensor.rank = Frama_C_size_t_interval(0, TENSOR_RANK);
    for (size_t i = 0; i < TENSOR_RANK; i++) any_tensor.dim[i] = Frama_C_size_t_interval(0, SIZE_MAX);
    return &any_tensor;
}
#define tensor_file_find(f, name) ((void)(f), any_input(name))
#define tensor_dtype_name(dtype)  ((void)(dtype), "F64")
#define strtoul(s, end, base)     (any_read(s), Frama_C_unsigned_long_interval(0, ULONG_MAX))

#include "prompt.c"

static const op_tensor in[] = {{"a", "A,B,C,D", OP_INPUT, 0, ""},       {"b", "E,F,G,H", OP_INPUT, 0, ""},
                               {"c", "I,J,K,L", OP_INPUT, 0, ""},       {"d", "M,N,O,P", OP_INPUT, 0, ""},
                               {"e", "A,2", OP_INPUT, OP_OPTIONAL, ""}, {0}};
static const op_tensor out[] = {{"y", "A", OP_BOUNDED, OP_DIFF, ""}, {0}};

int main(void)
{
    static const op_record op = {.id = "op", .in = in, .out = out};
    char err[64], dims[OP_DIMS * 24];
    reader r = {.path = "p", .op = &op, .err = err, .errlen = sizeof err};
    bind_inputs(&r, dims, sizeof dims);
    return 0;
}
