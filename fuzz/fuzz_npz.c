/* The .npz reader on arbitrary bytes.  The archive is handled by libzip; the mutator mends the checksums of stored
 * entries, so that mutations reach what comes after them. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tensor_file f;
    char err[TENSOR_ERROR];
    check_tensors(tensor_file_parse_npz("f", data, size, &f, err, sizeof err), &f, err);
    tensor_file_clear(&f);
    return 0;
}

#ifdef FUZZ_ENGINE
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

static uint32_t crc32_of(const uint8_t *p, size_t n)
{
    uint32_t c = 0xffffffff;
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int bit = 0; bit < 8; bit++) c = c >> 1 ^ (c & 1 ? 0xedb88320 : 0);
    }
    return ~c;
}

static uint32_t get32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* For a record of the central directory at p: the checksum of its data, into the record and into the local header. */
static void mend(uint8_t *data, size_t size, uint8_t *p)
{
    size_t local = get32(p + 42), length = get32(p + 20);
    if (p[10] != 0 || local + 30 > size) return;
    size_t at = local + 30 + data[local + 26] + 256u * data[local + 27] + data[local + 28] + 256u * data[local + 29];
    if (at > size || length > size - at) return;
    uint32_t c = crc32_of(data + at, length);
    for (int i = 0; i < 4; i++) p[16 + i] = data[local + 14 + (size_t)i] = (uint8_t)(c >> (8 * i));
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    size = LLVMFuzzerMutate(data, size, most);
    for (size_t i = 0; seed % 8 != 0 && i + 46 <= size; i++)
        if (memcmp(data + i, "PK\1\2", 4) == 0) mend(data, size, data + i);
    return size;
}
#endif
