/* The safetensors reader on arbitrary bytes; what it accepts is written, read again, and must be the same. */
#include "fuzz.h"

static void compare(const tensor_file *a, const tensor_file *b)
{
    if (a->tensors != b->tensors || a->entries != b->entries) FINDING("another number of tensors after a round trip");
    for (size_t i = 0; i < a->tensors; i++) {
        const tensor *s = &a->t[i], *t = &b->t[i];
        if (strcmp(s->name, t->name) != 0 || s->dtype != t->dtype || s->rank != t->rank || s->count != t->count ||
            memcmp(s->dim, t->dim, s->rank * sizeof *s->dim) != 0 ||
            memcmp(s->data, t->data, s->count * tensor_dtype_size(s->dtype)) != 0)
            FINDING("another tensor after a round trip");
    }
    for (size_t i = 0; i < a->entries; i++)
        if (strcmp(a->entry[i].key, b->entry[i].key) != 0 || strcmp(a->entry[i].value, b->entry[i].value) != 0)
            FINDING("other metadata after a round trip");
}

/* No byte of the data belongs to two tensors or to none. */
static void check_tiling(const uint8_t *data, size_t size, const tensor_file *f)
{
    size_t header = 0, bytes = 0;
    for (size_t i = 8; i-- > 0;) header = header << 8 | data[i];
    for (size_t i = 0; i < f->tensors; i++) bytes += f->t[i].count * tensor_dtype_size(f->t[i].dtype);
    if (bytes != size - 8 - header) FINDING("%zu bytes of tensors in %zu bytes of data", bytes, size - 8 - header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tensor_file f, again;
    char err[TENSOR_ERROR];
    int result = tensor_file_parse_safetensors("f", data, size, &f, err, sizeof err);
    check_tensors(result, &f, err);
    if (result != 0) return 0;
    check_tiling(data, size, &f);
    if (tensor_file_write(scratch_file(), &f, err, sizeof err) != 0) FINDING("%s", err);
    if (tensor_file_read(scratch_file(), &again, err, sizeof err) != 0) FINDING("%s", err);
    compare(&f, &again);
    unlink(scratch_file());
    tensor_file_clear(&again);
    tensor_file_clear(&f);
    return 0;
}
