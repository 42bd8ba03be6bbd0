/* A line of an answer: any bytes; an element of each dtype, the fields, the dtype and the shape of a tensor, whatever JSON they are; and
 * an answer as a whole (PART 4), whose shapes are all of COUNT elements: its arrays and objects have at most ANY_MOST members.
 *
 * What is assumed: scaling gives a finite number up to the largest half.  Left out: writing. */
#include "jansson_any.h"

#include <math.h>
#include <stdarg.h>

#include "stream.h"

static double any_fabs(double x) { return x < 0 ? -x : x; }
#define fabs any_fabs

/* has_fields() adds up what it counts: its texts are counted as they are.  Numbers are not. */
static int any_joined(char *to, size_t n, const char *format, ...)
{
    va_list of;
    if (format[1] != 's') return any_message(to, n), any_count();
    va_start(of, format);
    const char *before = va_arg(of, const char *), *text = va_arg(of, const char *);
    va_end(of);
    any_message(to, n);
    return (int)(strlen(before) + strlen(text) + 2);
}
#undef snprintf
#define snprintf any_joined

/* Rounding, which gives a finite number or not, as the arguments have it. */
#define signbit(x)   ((void)(x), Frama_C_nondet(0, 1))
#define ilogb(x)     ((void)(x), Frama_C_interval(-1074, 1023))
#define nearbyint(x) any_rounded(x)
#define ldexp(x, e)  ((void)(x), (void)(e), Frama_C_double_interval(0, 65504))
static double any_rounded(double x) { return Frama_C_nondet(0, 1) ? x : Frama_C_double_interval(-DBL_MAX, DBL_MAX); }

#if PART == 4
/* A shape is of COUNT elements, or of too many. */
static int any_product(size_t rank, const size_t *dim, size_t *count)
{
    any_bytes(dim, rank * sizeof *dim);
    *count = COUNT;
    return Frama_C_nondet(-1, 0);
}
#define tensor_count any_product
#endif

/* A copy of the tensor is added, or none. */
static int any_added(const char *name, tensor_dtype dtype, size_t rank, const size_t *dim, const void *data)
{
    size_t count;
    any_read(name);
    if (tensor_count(rank, dim, &count) != 0) return -1;
    any_bytes(data, count * tensor_dtype_size(dtype));
    return Frama_C_nondet(-1, 0);
}
#define tensor_file_add(f, name, dtype, rank, dim, data) ((void)(f), any_added((name), (dtype), (rank), (dim), (data)))
#define tensor_file_clear(f)                             ((void)(f))

#include "stream.c"

static any_json value;
static char line[LENGTH], err[64];

int main(void)
{
    Frama_C_make_unknown(line, LENGTH);
    if (PART == 1) stream_parse(line, LENGTH, err, sizeof err);
    if (PART == 2) {
        for (int d = TENSOR_F64; d <= TENSOR_I64; d++) {
            tensor t = {.dtype = (tensor_dtype)d, .count = 2, .data = calloc(2, tensor_dtype_size((tensor_dtype)d))};
            if (!t.data) continue;
            set_element(&t, 0, any_value(&value));
            set_element(&t, 1, any_value(&value));
            free(t.data);
        }
    }
    if (PART == 3) {
        static const char *const fields[] = {"dtype", "shape", "data"};
        tensor t = {0};
        tensor_dtype dtype;
        has_fields(any_value(&value), 3, fields, any_text(), err, sizeof err);
        read_shape(any_value(&value), &t);
        read_dtype(any_value(&value), &dtype);
    }
    if (PART == 4) {
        char *name;
        tensor_file f;
        stream_read_answer(line, LENGTH, &name, &f, err, sizeof err);
        free(name);
    }
    return 0;
}
