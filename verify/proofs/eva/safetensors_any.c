/* The reader of safetensors: the length on every file of LENGTH bytes; the header whatever JSON it is, with MEMBERS members and any
 * number of bytes of data after it. */
#include "jansson_any.h"

#include "safetensors.c"

static unsigned char bytes[LENGTH];
static char err[64];

static void lengths(void)
{
    size_t length;
    if (read_length("file", bytes, LENGTH, &length, err, sizeof err) == 0) {
        /*@ assert inside: 8 + length <= LENGTH; */
    }
}

int main(void)
{
    size_t need;
    tensor_layout l;
    Frama_C_make_unknown((char *)bytes, LENGTH);
    lengths();
    const size_t have = Frama_C_size_t_interval(0, LENGTH);
    if (tensor_layout_safetensors("file", bytes, have, LENGTH, &need, &l, err, sizeof err) == 0 && need <= have)
        tensor_layout_clear(&l);
    return 0;
}
