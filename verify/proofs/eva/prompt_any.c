/* A prompt, whose file is read by others (safetensors_any.c, npy_any.c).
 *
 * PART 1: the sizes that its tensors bind: tensors of any dtype, rank and sizes, as the inputs of an operation with OP_DIMS letters; 2: its
 * metadata and the names of its tensors, which are any; 3: parameters of up to 3 bytes of ASCII
 * besides others of up to 2; 4: the values of tensors of
 * any dtype, of as many elements as the operation has, or of others.
 *
 * What is assumed: "%s%c=%zu" and a name with what stands before it print at most 23 bytes.  Left out: writing, and op_case_new() (registry_any.c). */
#define ANY_WIDE 23
#if PART == 2
#define ANY_COMPARED
#endif
#include "any.h"

#include "manifest.h"
#include "op.h"

#if PART == 3 /* the length of a text apart, and "%s" and "%s%.*s" as the C library prints them */
static size_t any_length(const char *s)
{
    size_t n = 0;
    while (s[n] != '\0') n++;
    return n;
}
#define strlen any_length

static int any_beginning(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (a[i] != b[i]) return 1;
        if (a[i] == '\0') return 0;
    }
    return 0;
}
#define strncmp any_beginning

static int any_printed(char *to, size_t room, const char *format, ...)
{
    size_t n = 0;
    va_list from;
    va_start(from, format);
    for (const char *f = format; *f != '\0'; f++) {
        if (*f != '%') continue;
        const int most = f[1] == '.' ? va_arg(from, int) : INT_MAX;
        const char *s = va_arg(from, const char *);
        for (int i = 0; i < most && s[i] != '\0'; i++, n++)
            if (n + 1 < room) to[n] = s[i];
    }
    va_end(from);
    if (room > 0) to[n < room ? n : room - 1] = '\0';
    return (int)n;
}
#undef snprintf
#define snprintf any_printed
#undef tensor_fail
#endif

static int any_set(char **set, char *err, size_t errlen)
{
    *set = any_copy("");
    if (!*set) return any_message(err, errlen);
#if PART == 3
    for (size_t i = 0; i < TEXT; i++) (*set)[i] = Frama_C_char_interval(0, 127);
#endif
    return 0;
}
#define manifest_parameters_to_set(path, json, set, err, errlen)                                                       \
    (any_read(path), any_read(json), any_set((set), (err), (errlen)))

static tensor any_tensor;
static char any_data[16];
static const size_t any_element[] = {8, 4, 2, 2, 8};
static const tensor *any_input(const char *name)
{
    any_read(name);
    if (Frama_C_nondet(0, 1) && (PART < 4 || name[0] != 'i'))
        return NULL; /* bind_inputs() has seen that what must be there is */
    any_tensor.dtype = (tensor_dtype)Frama_C_interval(TENSOR_F64, TENSOR_I64);
    any_tensor.rank = Frama_C_size_t_interval(0, TENSOR_RANK);
    for (size_t i = 0; i < TENSOR_RANK; i++) any_tensor.dim[i] = Frama_C_size_t_interval(0, SIZE_MAX);
    return &any_tensor;
}
#if PART == 4 /* each dtype, rank and size apart, with as many bytes as they say */
#define tensor_file_find(f, name)                                                                                      \
    ({                                                                                                                 \
        const tensor *any_t = any_input(name);                                                                         \
        any_tensor.dtype = (tensor_dtype)Frama_C_interval_split(TENSOR_F64, TENSOR_I64);                               \
        any_tensor.rank = (size_t)Frama_C_interval_split(0, 2);                                                        \
        any_tensor.dim[0] = (size_t)Frama_C_interval_split(1, 2);                                                      \
        any_tensor.data = any_data + 16 - any_tensor.dim[0] * any_element[any_tensor.dtype];                           \
        any_t;                                                                                                         \
    })
#else
#define tensor_file_find(f, name) ((void)(f), any_input(name))
#endif
#define tensor_file_meta(f, key) ((void)(f), any_read(key), Frama_C_nondet(0, 1) ? any_text() : NULL)
#define tensor_dtype_name(dtype) ((void)(dtype), "F64")
#define tensor_get(t, i)                                                                                               \
    (any_bytes((const char *)(t)->data + (i)*any_element[(t)->dtype], any_element[(t)->dtype]),                        \
     Frama_C_double_interval(-DBL_MAX, DBL_MAX))
#define strtoul(s, end, base) (any_read(s), Frama_C_unsigned_long_interval(0, ULONG_MAX))

#include "prompt.c"

static const op_tensor in[] = {{"a", "A,B,C,D", OP_INPUT, 0, ""},       {"b", "E,F,G,H", OP_INPUT, 0, ""},
                               {"c", "I,J,K,L", OP_INPUT, 0, ""},       {"d", "M,N,O,P", OP_INPUT, 0, ""},
                               {"e", "A,2", OP_INPUT, OP_OPTIONAL, ""}, {0}};
static const op_tensor out[] = {{"y", "A", OP_BOUNDED, OP_DIFF, ""}, {"z", "", OP_EXACT, 0, ""}, {0}};
static const op_record op = {.id = "op", .in = in, .out = out};
static char err[64];

const op_record *op_find(const char *id)
{
    any_read(id);
    return Frama_C_nondet(0, 1) ? &op : NULL;
}

int main(void)
{
    reader r = {.path = "p", .op = &op, .err = err, .errlen = sizeof err};
#if PART == 1
    char dims[OP_DIMS * 24];
    bind_inputs(&r, dims, sizeof dims);
#elif PART == 2
    static tensor t[] = {{.name = any_texts[0]}, {.name = any_texts[1]}};
    r.file.tensors = Frama_C_size_t_interval(0, 2);
    r.file.t = t;
    r.file.entries = 1;
    r.file.entry = malloc(sizeof *r.file.entry);
    if (!r.file.entry) return 0;
    r.file.entry->key = any_texts[0];
    r.op = Frama_C_nondet(0, 1) ? &op : NULL;
    any_text();
    if (check_metadata(&r)) check_names(&r);
#elif PART == 3
    static char set[3];
    for (size_t i = 0; i < 2; i++) set[i] = Frama_C_char_interval(0, 127);
    free(merge_parameters(&r, set));
#elif PART == 4
    static const op_tensor one[] = {{"a", "A", OP_INPUT, OP_OPTIONAL, ""}, {"i", "A", OP_INPUT, OP_I64, ""}, {0}};
    static const op_record op_of_two = {.id = "op", .in = one, .out = out};
    static double f64[3][2];
    static int64_t i64[2];
    static op_case c = {.op = &op_of_two};
    size_t cotangents;
    c.in[0] = (op_value){.rank = 1, .dim = {2}, .count = 2, .f64 = f64[0]};
    c.in[1] = (op_value){.rank = 1, .dim = {2}, .count = 2, .i64 = i64};
    c.cot[0] = (op_value){.rank = 1, .dim = {2}, .count = 2, .f64 = f64[1]};
    r.shapes = Frama_C_nondet(0, 1);
    fill_case(&r, &c, &cotangents);
#endif
    return 0;
}
