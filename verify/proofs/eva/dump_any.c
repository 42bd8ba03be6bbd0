/* Dumps, whose headers are read by others (safetensors_any.c, npy_any.c).
 *
 * PART 1: an element of each dtype, and up to 2 rows of 2 elements in each order, at any place of a file that may be cut off meanwhile, or of a
 * compressed entry that inflates to anything; 2: the matrices of a tensor of any type and shape, in a list that has room for two;
 * 3: the opening of a file of a given FORMAT, whose header has HEAD bytes at most and TENSORS tensors; an .npz has up to TENSORS entries;
 * 4: a dump of FILES files with TENSORS tensors each of up to two dimensions, chosen by PATTERNS patterns, at most one; or of an index of INDEX such files.
 *
 * What is assumed besides: libzip inflates to as many bytes as it is asked for, to fewer, or fails. */
#ifndef ANY_PIECES
#define ANY_PIECES 16
#endif
#if PART == 4
#define ANY_COMPARED
#define ANY_TWO
#endif
#include "any.h"
#include "files_any.h"
#include "layout_any.h"

#include <fnmatch.h>
#include <zip.h>

#include "index_any.h"
#include "npz.h"

/* --- libzip --- */

static char any_archive, any_entry;

#define zip_fread(file, to, n) ((void)(file), (zip_int64_t)any_piece(0, (to), (n)))
#define zip_fopen_index(archive, i, flags)                                                                             \
    ((void)(archive), (void)(i), Frama_C_nondet(0, 1) ? (zip_file_t *)&any_entry : NULL)
#define zip_fclose(file)                       ((void)(file))
#define zip_strerror(archive)                  ((void)(archive), any_text())
#define zip_discard(archive)                   ((void)(archive))
#define zip_get_num_entries(archive, flags)    ((void)(archive), Frama_C_interval_split(0, TENSORS))
#define zip_source_file_create(path, at, n, e) ((void)(path), (void)(e), (zip_source_t *)NULL)
#define zip_error_init(e)                      ((void)(e))
#define zip_error_fini(e)                      ((void)(e))

/* npz.h, whose functions are npy.c's. */
static int any_said(const char *label, zip_stat_t *st, char *err, size_t errlen)
{
    any_read(label);
    if (Frama_C_nondet(0, 1)) return any_message(err, errlen);
    st->name = any_text();
    st->size = Frama_C_unsigned_long_interval(0, 1UL << 46);
    return 0;
}
#define npz_open(label, source, problem, err, errlen)                                                                  \
    (any_read(label), Frama_C_nondet(0, 1) ? (zip_t *)&any_archive : (any_message((err), (errlen)), (zip_t *)NULL))
#define npz_entry(label, archive, i, compressed, n, limit, st, err, errlen) any_said((label), (st), (err), (errlen))
#define npz_tensor_name(entry)                                              any_copy(entry)

#define strverscmp(a, b) (any_read(a), any_read(b), Frama_C_interval(-1, 1))

static int any_printed(char **text)
{
    *text = any_copy("");
    return *text ? TEXT : -1;
}
#define asprintf(text, ...) any_printed(text)

#undef shards_named
#define shards_named(path) (any_read(path), INDEX > 0)

#include "dump.c"

static char err[64];

#if PART == 1
/* rows x p elements of a tensor, of which one row begins `row` elements after the other and one column `column` */
static void rows(tensor_dtype dtype, size_t rows, size_t p, size_t row, size_t column)
{
    zip_uint64_t entry = 0;
    dump_stream stream = {NULL, 0};
    tensor_place t = {
        .name = "x", .begin = Frama_C_size_t_interval(0, SIZE_MAX), .end = Frama_C_size_t_interval(0, SIZE_MAX)};
    dump_source s = {.path = "f", .fd = 3, .layout = {1, &t}, .entry = &entry};
    dump_matrix m = {.path = "f",
                     .tensor = "x",
                     .dtype = dtype,
                     .n = rows,
                     .p = p,
                     .row = row,
                     .column = column,
                     .source = &s,
                     .stream = &stream};
    dump d = {.matrices = 1, .matrix = &m};
    double x[4];
    t.swap = Frama_C_nondet(0, 1);
    s.archive = ARCHIVE ? (zip_t *)&any_archive : NULL;
    m.indexed = Frama_C_nondet(0, 1);
    m.start = Frama_C_size_t_interval(0, SIZE_MAX);
    dump_read(&d, 0, Frama_C_size_t_interval(0, SIZE_MAX), rows, x + 4 - rows * p, err, sizeof err);
}

static void part(void)
{
    for (int dtype = TENSOR_F64; dtype <= TENSOR_I64; dtype++) rows((tensor_dtype)dtype, 1, 1, 1, 1);
    rows(TENSOR_F16, 0, 2, 2, 1);
    rows(TENSOR_F16, 2, 2, 2, 1);
    rows(TENSOR_F16, 2, 2, 10, 1);
    rows(TENSOR_F16, 2, 2, 1, 2);
}
#endif

#if PART == 2
static void part(void)
{
    static dump_matrix list[DUMP_MATRICES];
    static char name[] = "x";
    dump d = {.matrix = list, .matrices = DUMP_MATRICES - 2};
    tensor_place t = {.name = name};
    dump_source s = {.path = "f", .layout = {1, &t}};
    dump_choice c = {.second = Frama_C_nondet(0, 1), .integers = Frama_C_nondet(0, 1)};
    any_place(&t);
    if (unsuitable(&t, &c) == NULL) add_tensor(&d, &s, 0, &c, err, sizeof err);
}
#elif PART == 3
static void part(void)
{
    static const char *const pattern[] = {any_texts[0]};
    dump_source *room[1] = {NULL};
    const dump_choice c = {.patterns = (size_t)Frama_C_interval_split(0, 1), .pattern = pattern};
    dump d = {.source = room};
    open_source(&d, any_text(), &c, err, sizeof err);
    if (room[0]) close_source(room[0]);
}
#elif PART == 4
static void part(void)
{
    static const char *const pattern[] = {any_texts[0]}, *const path[] = {any_texts[0], any_texts[1]};
    const dump_choice c = {.patterns = PATTERNS, .pattern = pattern, .integers = Frama_C_interval(0, 1)};
    dump d;
    dump_open(&d, FILES, path, &c, err, sizeof err); /* which closes it where the last name finds no memory */
}
#endif

int main(void)
{
    part();
    return 0;
}
