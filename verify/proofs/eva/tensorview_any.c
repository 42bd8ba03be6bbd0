/* Pieces of a tensor that stays in its file: any first element and any number of them within a shape of any sizes, of every dtype,
 * from a file that may be cut off meanwhile; and the opening of a file of a given FORMAT (PART 2),
 * and of the shards of an index (PART 3). */
#define ANY_PIECES 16
#include "any.h"
#include "files_any.h"
#include "index_any.h"
#include "layout_any.h"

#include "tensorview.c"

static char err[64], name[] = "x", path[] = "file";
static double x[COUNT];
static int64_t k[COUNT];

static void pieces(tensor_dtype dtype)
{
    struct tensor_view_file file = {path, 3, 1, 1};
    tensor t = {.name = name, .dtype = dtype, .rank = 1, .dim = {COUNT}, .count = COUNT};
    struct tensor_view_place place = {0, Frama_C_size_t_interval(0, (size_t)1 << 60), Frama_C_nondet(0, 1)};
    const tensor_view v = {1, &file, {.tensors = 1, .t = &t}, &place};
    for (size_t n = 0; n <= COUNT; n++) {
        const size_t first = Frama_C_size_t_interval(0, COUNT - n);
        if (dtype == TENSOR_I64)
            tensor_view_integers(&v, 0, first, n, k, err, sizeof err);
        else
            tensor_view_doubles(&v, 0, first, n, x, err, sizeof err);
    }
    tensor_view_find(&v, any_text());
}

#if PART == 1
static void part(void)
{
    pieces(TENSOR_F64);
    pieces(TENSOR_F32);
    pieces(TENSOR_BF16);
    pieces(TENSOR_F16);
    pieces(TENSOR_I64);
}
#elif PART == 2
static void part(void)
{
    tensor_view v;
    if (open_one("file", &v, err, sizeof err) == 0) tensor_view_close(&v);
}
#elif PART == 3
static void part(void)
{
    tensor_view v;
    if (open_shards("i", &v, err, sizeof err) == 0) tensor_view_close(&v);
}
#endif

int main(void)
{
    part();
    return 0;
}
