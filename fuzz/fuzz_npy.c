/* The .npy reader on arbitrary bytes. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tensor_file f;
    char err[TENSOR_ERROR];
    int result = tensor_file_parse_npy("f", data, size, &f, err, sizeof err);
    check_tensors(result, &f, err);
    if (result == 0 && (f.tensors != 1 || f.entries != 0)) FINDING("an .npy with %zu tensors", f.tensors);
    tensor_file_clear(&f);
    return 0;
}
