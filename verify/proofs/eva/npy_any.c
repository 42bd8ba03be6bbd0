/* The reader of .npy headers, which is a parser of our own, on every input of LENGTH bytes.
 *
 * read_frame() on every file, read_dict() on every header (read_frame() says that a header ends where the file does or before, and
 * read_header() puts the cursor's end there), tensor_quote() on every name. */
#include "__fc_builtin.h"

#include "npy.c"

static unsigned char bytes[LENGTH ? LENGTH : 1]; /* and nothing after them: a reader that goes further is noticed */
static char name[LENGTH + 1];
static char err[64];

/* The versions apart: their headers begin at different places. */
static void frames(int first, int last)
{
    cursor c = {"file", "tensor", bytes, bytes + LENGTH, err, sizeof err};
    size_t length;
    Frama_C_make_unknown((char *)bytes, LENGTH);
    if (LENGTH > 6) bytes[6] = (unsigned char)Frama_C_interval(first, last);
    if (read_frame(&c, LENGTH, &length) == 0) {
        const size_t at = (size_t)(c.at - bytes);
        /*@ assert inside: at + length <= LENGTH; */
    }
}

int main(void)
{
    char quoted[TENSOR_QUOTED];
    npy_header header = {.seen = 0};
    cursor c = {"file", "tensor", bytes, bytes + LENGTH, err, sizeof err};
    frames(0, 0);
    frames(1, 1);
    frames(2, 255);
    Frama_C_make_unknown((char *)bytes, LENGTH);
    if (read_dict(&c, &header) == 0) {
        /*@ assert rank: header.rank <= 8; */
    }
    Frama_C_make_unknown(name, LENGTH);
    tensor_quote(quoted, name);
    return 0;
}
