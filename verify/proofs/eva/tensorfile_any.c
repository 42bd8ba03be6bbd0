/* Tensors in memory and whole files: conversions of every dtype from any bytes, sizes of any shape, files of any bytes that may be
 * cut off while they are read.  COUNT elements, or a file of COUNT bytes.
 *
 * What is assumed: "%s%zu" prints at most 21 bytes; a piece of more than 10 bytes is read whole, but for one byte, or not. */
#define ANY_MESSAGES
#define ANY_PIECES 10
#define ANY_LARGE
#define ANY_WIDE 21
#include "any.h"
#include "files_any.h"
#include "nettle_any.h"

#include "tensorfile.c"

enum { ROOM = COUNT ? COUNT : 1 };

static double wide[ROOM];
static unsigned char bytes[8 * ROOM];
static char err[64], hex[65];

static void convert(tensor_dtype dtype)
{
    const size_t size = tensor_dtype_size(dtype);
    const tensor t = {.dtype = dtype, .count = COUNT, .data = wide};
    Frama_C_make_unknown((char *)bytes, sizeof bytes);
    tensor_swap(bytes, COUNT, size);
    tensor_widen(dtype, COUNT, bytes, wide);
    Frama_C_make_unknown((char *)wide, sizeof wide);
    if (COUNT > 0) tensor_get(&t, Frama_C_size_t_interval(0, COUNT - 1));
    tensor_widen(dtype, COUNT, (unsigned char *)wide + COUNT * (8 - size), wide); /* in place, as tensorview.c has it */
}

static void shapes(void)
{
    char text[TENSOR_SHAPE];
    size_t dim[TENSOR_RANK], count = 0;
    const size_t rank = Frama_C_size_t_interval(0, TENSOR_RANK);
    Frama_C_make_unknown((char *)dim, sizeof dim);
    tensor_count(rank, dim, &count);
    tensor_shape_text(text, rank, dim);
}

static void files(void)
{
    unsigned char *all = NULL;
    size_t n = 0;
    if (whole_file_read("file", &all, &n, err, sizeof err) == 0) {
        /*@ assert ends: all[n] == 0; */
        tensor_format_of(all, n);
        free(all);
    }
    tensor_file_sha256("file", hex, err, sizeof err);
}

int main(void)
{
    convert(TENSOR_F64);
    convert(TENSOR_F32);
    convert(TENSOR_BF16);
    convert(TENSOR_F16);
    convert(TENSOR_I64);
    shapes();
    files();
    return 0;
}
