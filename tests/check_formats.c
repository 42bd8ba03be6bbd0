/* The file formats: safetensors, .npy, .npz, manifest.json, and the writing of whole files.  spec/formats.md.
 *
 * Files are made by hand, byte by byte, so that the reader is not tested by the writer nor the writer by the
 * reader; the .npy and .npz ones are the bytes that NumPy 1.24 wrote.  Numbers are worked out from the formats'
 * definitions.
 */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif

#include <check.h>
#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "manifest.h"
#include "schema.h"
#include "tensorfile.h"

static char err[TENSOR_ERROR];
static bool quiet; /* the negative controls fail on purpose: no word about it */

/* --- tools: a folder for each test, bytes, and comparisons that the last tests of this file control --- */

static char folder[64];

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "%s", "/tmp/check_formats.XXXXXX");
    ck_assert_msg(mkdtemp(folder) != NULL, "no folder for the test's files can be made in /tmp");
}

/* Deletes the folder's files and then the folder; how many files there were. */
static int empty_folder(void)
{
    int n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        char path[512];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        unlink(path);
        n++;
    }
    if (d != NULL) closedir(d);
    return n;
}

static void drop_folder(void)
{
    empty_folder();
    rmdir(folder);
}

static const char *in_folder(const char *name)
{
    static char path[4][128];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static void put_file(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

/* Is this the whole content of the file? */
static bool file_is(const char *path, const void *bytes, size_t n)
{
    unsigned char *found;
    size_t m;
    if (whole_file_read(path, &found, &m, err, sizeof err) != 0) return false;
    bool same = m == n && memcmp(found, bytes, n) == 0;
    free(found);
    return same;
}

static bool error_is(const char *expected)
{
    if (strcmp(err, expected) == 0) return true;
    if (!quiet) fprintf(stderr, "  found:    %s\n  expected: %s\n", err, expected);
    return false;
}

static size_t from_hex(const char *hex, unsigned char *out)
{
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        ck_assert_int_eq(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (unsigned char)byte;
    }
    return n;
}

/* length, header, data: a safetensors file by its definition.  Returns the number of bytes. */
static size_t by_hand(unsigned char *out, const char *header, const void *data, size_t n)
{
    size_t length = strlen(header);
    memset(out, 0, 8);
    out[0] = (unsigned char)(length & 255);
    out[1] = (unsigned char)(length >> 8);
    memcpy(out + 8, header, length);
    if (n > 0) memcpy(out + 8 + length, data, n);
    return 8 + length + n;
}

static bool same_tensor(const tensor *a, const tensor *b)
{
    return strcmp(a->name, b->name) == 0 && a->dtype == b->dtype && a->rank == b->rank && a->count == b->count &&
           memcmp(a->dim, b->dim, a->rank * sizeof *a->dim) == 0 &&
           memcmp(a->data, b->data, a->count * tensor_dtype_size(a->dtype)) == 0;
}

static bool same_file(const tensor_file *a, const tensor_file *b)
{
    bool same = a->tensors == b->tensors && a->entries == b->entries;
    for (size_t i = 0; same && i < a->tensors; i++) same = same_tensor(&a->t[i], &b->t[i]);
    for (size_t i = 0; same && i < a->entries; i++)
        same = strcmp(a->entry[i].key, b->entry[i].key) == 0 && strcmp(a->entry[i].value, b->entry[i].value) == 0;
    return same;
}

/* Reads one tensor `x` of the dtype from hand-made bytes and compares each value; NaN equals NaN, and -0 differs
 * from 0. */
static bool values_are(const char *dtype, size_t n, const char *hex, const double *expected)
{
    unsigned char data[256], file[512];
    char header[128];
    size_t bytes = from_hex(hex, data);
    snprintf(header, sizeof header, "{\"x\":{\"dtype\":\"%s\",\"shape\":[%zu],\"data_offsets\":[0,%zu]}}", dtype, n,
             bytes);
    tensor_file f;
    ck_assert_msg(tensor_file_parse_safetensors("t", file, by_hand(file, header, data, bytes), &f, err, sizeof err) ==
                      0,
                  "%s", err);
    bool same = f.tensors == 1 && f.t[0].count == n;
    for (size_t i = 0; same && i < n; i++) {
        double got = tensor_get(&f.t[0], i);
        same = isnan(expected[i]) ? isnan(got) : got == expected[i] && !signbit(got) == !signbit(expected[i]);
        if (!same && !quiet) fprintf(stderr, "  %s[%zu]: found %a, expected %a\n", dtype, i, got, expected[i]);
    }
    tensor_file_clear(&f);
    return same;
}

/* --- dtypes --- */

START_TEST(dtype_values)
{
    /* 3ff8.. = 1.5; bfff.. (all ones but the sign's neighbour): -(2 - 2^-52); 1: the least subnormal; 7fef..: the
     * largest */
    ck_assert(values_are("F64", 5,
                         "000000000000f83f"
                         "ffffffffffffffbf"
                         "0100000000000000"
                         "ffffffffffffef7f"
                         "0000000000000080",
                         (const double[]){1.5, -0x1.fffffffffffffp+0, 0x1p-1074, 0x1.fffffffffffffp+1023, -0.0}));
    ck_assert(values_are("F32", 5,
                         "0000803f"
                         "000020c1"
                         "01000000"
                         "ffff7f7f"
                         "0000c07f",
                         (const double[]){1, -10, 0x1p-149, 0x1.fffffep+127, NAN}));
    /* 4049: 1.1001001b * 2 = 3.140625; 0001: 2^-7 * 2^-126; 7f7f: the largest, (2 - 2^-7) 2^127 */
    ck_assert(values_are("BF16", 7,
                         "803f"
                         "40c0"
                         "4940"
                         "0100"
                         "7f7f"
                         "80ff"
                         "0080",
                         (const double[]){1, -3, 3.140625, 0x1p-133, 0x1.fep+127, -INFINITY, -0.0}));
    /* 3555: 2^-2 (1 + 341/1024) = 1365/4096; 0400: the least normal; 03ff, 0001: subnormals */
    ck_assert(
        values_are("F16", 9,
                   "003c"
                   "00c0"
                   "5535"
                   "ff7b"
                   "0004"
                   "ff03"
                   "0100"
                   "00fc"
                   "0080",
                   (const double[]){1, -2, 1365.0 / 4096.0, 65504, 0x1p-14, 1023 * 0x1p-24, 0x1p-24, -INFINITY, -0.0}));
    ck_assert(values_are("F16", 1, "017e", (const double[]){NAN}));
    /* 2^53 + 1 is the first integer that a double does not hold: to even */
    ck_assert(values_are("I64", 4,
                         "0700000000000000"
                         "ffffffffffffffff"
                         "0000000000000080"
                         "0100000000002000",
                         (const double[]){7, -1, -0x1p63, 0x1p53}));
}
END_TEST

/* All 2^16 halves: from one finite value to the next is 2^(max(e,1) - 25), and the signs are symmetric.  The same for
 * bfloat16 with 2^(max(e,1) - 134).  Both walks are exact in binary64. */
START_TEST(every_half)
{
    double f16 = 0.0, bf16 = 0.0;
    for (uint16_t h = 0; h < 0x8000; h++) {
        uint16_t minus = (uint16_t)(h | 0x8000);
        tensor t = {.name = (char[]){"x"}, .dtype = TENSOR_F16, .rank = 0, .count = 1, .data = &h};
        tensor m = {.name = (char[]){"x"}, .dtype = TENSOR_F16, .rank = 0, .count = 1, .data = &minus};
        int e = h >> 10;
        if (e < 31) {
            ck_assert_msg(tensor_get(&t, 0) == f16 && tensor_get(&m, 0) == -f16, "F16 %04x is %a, expected %a", h,
                          tensor_get(&t, 0), f16);
            f16 += ldexp(1, (e > 1 ? e : 1) - 25);
        } else {
            ck_assert(h == 0x7c00 ? tensor_get(&t, 0) == (double)INFINITY && tensor_get(&m, 0) == (double)-INFINITY
                                  : isnan(tensor_get(&t, 0)) && isnan(tensor_get(&m, 0)));
        }
        t.dtype = m.dtype = TENSOR_BF16;
        e = h >> 7;
        if (e < 255) {
            ck_assert_msg(tensor_get(&t, 0) == bf16 && tensor_get(&m, 0) == -bf16, "BF16 %04x is %a, expected %a", h,
                          tensor_get(&t, 0), bf16);
            bf16 += ldexp(1, (e > 1 ? e : 1) - 134);
        } else {
            ck_assert(h == 0x7f80 ? tensor_get(&t, 0) == (double)INFINITY && tensor_get(&m, 0) == (double)-INFINITY
                                  : isnan(tensor_get(&t, 0)) && isnan(tensor_get(&m, 0)));
        }
    }
}
END_TEST

/* Many at once are the same as one by one, whatever their number, and also where the bytes lie at the end of the doubles' room. */
START_TEST(widening)
{
    enum { MOST = 65536 };
    static const size_t number[] = {0, 1, 255, 256, 257, 1000, MOST};
    static unsigned char bytes[8 * MOST];
    static double wide[MOST];
    uint32_t r = 1;
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)((r = r * 1664525u + 1013904223u) >> 24);
    for (tensor_dtype dtype = TENSOR_F64; dtype <= TENSOR_I64; dtype++) {
        const size_t size = tensor_dtype_size(dtype);
        for (size_t i = 0; size == 2 && i < MOST; i++) memcpy(bytes + 2 * i, &(uint16_t){(uint16_t)i}, 2); /* each once */
        for (size_t k = 0; k < sizeof number / sizeof *number; k++) {
            const size_t n = number[k];
            const tensor t = {.dtype = dtype, .count = n, .data = bytes};
            unsigned char *end = (unsigned char *)wide + n * (8 - size);
            if (n < MOST) wide[n] = -7;
            memcpy(end, bytes, n * size);
            tensor_widen(dtype, n, end, wide);
            for (size_t i = 0; i < n; i++) {
                const double x = tensor_get(&t, i);
                ck_assert_msg(isnan(x) ? isnan(wide[i]) : x == wide[i] && !signbit(x) == !signbit(wide[i]),
                              "%s: element %zu of %zu is %a, expected %a", tensor_dtype_name(dtype), i, n, wide[i], x);
            }
            ck_assert(n == MOST || wide[n] == -7);
        }
    }
}
END_TEST

/* --- safetensors: reading --- */

START_TEST(read_by_hand)
{
    /* Out of order in the file, an empty tensor between two others, a scalar, metadata, and a double at an odd
     * address. */
    static const char header[] = "{\"b\":{\"data_offsets\":[2,10],\"shape\":[1,1],\"dtype\":\"F64\"},"
                                 "\"none\":{\"dtype\":\"I64\",\"shape\":[0,3],\"data_offsets\":[2,2]},"
                                 "\"__metadata__\":{\"op\":\"gate.linear\",\"note\":\"\\u00e9\\\"\"},"
                                 "\"a\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[0,2]}}   ";
    unsigned char data[16], file[512];
    size_t n = by_hand(file, header, data,
                       from_hex("003c"
                                "0000000000000440",
                                data));
    tensor_file f;
    ck_assert_msg(tensor_file_parse_safetensors("t", file, n, &f, err, sizeof err) == 0, "%s", err);
    ck_assert_uint_eq(f.tensors, 3);
    ck_assert_str_eq(f.t[0].name, "b");
    ck_assert_uint_eq(f.t[0].rank, 2);
    ck_assert(tensor_get(&f.t[0], 0) == 2.5);
    ck_assert_uint_eq((uintptr_t)f.t[0].data % 8, 0);
    ck_assert_str_eq(f.t[1].name, "none");
    ck_assert(f.t[1].count == 0 && f.t[1].rank == 2 && f.t[1].dim[1] == 3);
    ck_assert_str_eq(f.t[2].name, "a");
    ck_assert(f.t[2].rank == 0 && f.t[2].count == 1 && tensor_get(&f.t[2], 0) == 1.0);
    ck_assert_str_eq(tensor_file_meta(&f, "op"), "gate.linear");
    ck_assert_str_eq(tensor_file_meta(&f, "note"), "\xc3\xa9\"");
    ck_assert_ptr_null(tensor_file_meta(&f, "absent"));
    ck_assert_ptr_eq(tensor_file_find(&f, "a"), &f.t[2]);
    ck_assert_ptr_null(tensor_file_find(&f, "c"));
    tensor_file_clear(&f);
}
END_TEST

/* The shortest file there is. */
START_TEST(read_nothing)
{
    unsigned char file[16];
    tensor_file f;
    ck_assert_int_eq(tensor_file_parse_safetensors("t", file, by_hand(file, "{}", NULL, 0), &f, err, sizeof err), 0);
    ck_assert(f.tensors == 0 && f.entries == 0);
    tensor_file_clear(&f);
}
END_TEST

/* What the data section of each of these holds is beside the point: it is `data` zero bytes. */
static const struct {
    const char *header;
    size_t data;
    const char *error;
} wrong[] = {
    {"{\"x\":{\"dtype\":\"F64\",\"shape\":[2,3],\"data_offsets\":[0,40]}}", 40,
     "t: tensor \"x\": 40 bytes, expected 48 for shape [2,3] of F64"},
    {"{\"x\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[0,16]}}", 8,
     "t: tensor \"x\": bytes 0 to 16, expected a range within the 8 bytes of data"},
    {"{\"x\":{\"dtype\":\"F64\",\"shape\":[0],\"data_offsets\":[8,0]}}", 8,
     "t: tensor \"x\": bytes 8 to 0, expected a range within the 8 bytes of data"},
    {"{\"x\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,9223372036854775807]}}", 8,
     "t: tensor \"x\": bytes 0 to 9223372036854775807, expected a range within the 8 bytes of data"},
    {"{\"x\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,18446744073709551616]}}", 8,
     "t: header is not valid JSON: \"too big integer near '18446744073709551616'\" at byte 70"},
    {"{\"x\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[-8,0]}}", 8,
     "t: tensor \"x\": expected \"data_offsets\", two integers from 0 on"},
    {"{\"x\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8,8]}}", 8,
     "t: tensor \"x\": expected \"data_offsets\", two integers from 0 on"},
    {"{\"x\":{\"dtype\":\"F64\",\"shape\":[1]}}", 8,
     "t: tensor \"x\": expected \"data_offsets\", two integers from 0 on"},
    {"{\"x\":{\"dtype\":\"F64\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
     "t: tensor \"x\": shape [4294967296,4294967296] has more elements than memory has addresses"},
    {"{\"x\":{\"dtype\":\"F64\",\"shape\":[4294967296,4294967296,0],\"data_offsets\":[0,0]}}", 0,
     "t: tensor \"x\": shape [4294967296,4294967296,0] has more elements than memory has addresses"},
    {"{\"x\":{\"dtype\":\"F64\",\"shape\":[1152921504606846976,2],\"data_offsets\":[0,0]}}", 0,
     "t: tensor \"x\": shape [1152921504606846976,2] has more elements than memory has addresses"},
    {"{\"x\":{\"dtype\":\"F64\",\"shape\":[1.0],\"data_offsets\":[0,8]}}", 8,
     "t: tensor \"x\": expected sizes in \"shape\", integers from 0 on"},
    {"{\"x\":{\"dtype\":\"F64\",\"shape\":[-1],\"data_offsets\":[0,8]}}", 8,
     "t: tensor \"x\": expected sizes in \"shape\", integers from 0 on"},
    {"{\"x\":{\"dtype\":\"F64\",\"shape\":8,\"data_offsets\":[0,8]}}", 8,
     "t: tensor \"x\": expected \"shape\", an array of sizes"},
    {"{\"x\":{\"dtype\":\"F64\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,8]}}", 8,
     "t: tensor \"x\": 9 dimensions, expected at most 8"},
    {"{\"a\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[0,16]},"
     "\"b\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[8,16]}}",
     16, "t: tensor \"b\": begins at byte 8 and overlaps the one before it, expected 16"},
    {"{\"a\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]},"
     "\"b\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]}}",
     8, "t: tensor \"b\": begins at byte 0 and overlaps the one before it, expected 8"},
    {"{\"b\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[16,24]},"
     "\"a\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]}}",
     24, "t: tensor \"b\": begins at byte 16 and leaves a hole before it, expected 8"},
    {"{\"a\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[8,16]},"
     "\"b\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[16,24]}}",
     24, "t: tensor \"a\": begins at byte 8 and leaves a hole before it, expected 0"},
    {"{\"x\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]}}", 9,
     "t: 9 bytes of data, expected 8: bytes after the last tensor"},
    {"{\"x\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
     "t: tensor \"x\": dtype \"I32\" is not supported, expected one of F64, F32, BF16, F16, I64"},
    {"{\"x\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
     "t: tensor \"x\": expected \"dtype\", one of F64, F32, BF16, F16, I64"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"stride\":[1]}}", 4,
     "t: tensor \"x\": unknown field \"stride\", expected dtype, shape and data_offsets"},
    {"{\"x\":[0,4]}", 4, "t: tensor \"x\": expected an object with dtype, shape and data_offsets"},
    {"{\"\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "t: a tensor without a name"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
     8, "t: header is not valid JSON: \"duplicate object key near '\\x22x\\x22'\" at byte 57"},
    {"{\"__metadata__\":{\"op\":2}}", 0, "t: __metadata__ \"op\": expected a string"},
    {"{\"__metadata__\":[]}", 0, "t: expected \"__metadata__\", an object of strings"},
    {"{\"a\\nb\":1}", 0, "t: tensor \"a\\x0ab\": expected an object with dtype, shape and data_offsets"},
    {" {}", 0, "t: is no safetensors, .npy or .npz file: expected a header that begins with {"},
    {"{} x", 0, "t: header is not valid JSON: \"end of file expected near 'x'\" at byte 4"},
    {"{", 0, "t: is no safetensors, .npy or .npz file: expected a header that begins with {"},
};

START_TEST(wrong_safetensors)
{
    static const unsigned char zeros[64];
    unsigned char file[512];
    tensor_file f = {0};
    size_t n = by_hand(file, wrong[_i].header, zeros, wrong[_i].data);
    ck_assert_msg(tensor_file_parse_safetensors("t", file, n, &f, err, sizeof err) == -1, "accepted: %s",
                  wrong[_i].header);
    ck_assert_msg(error_is(wrong[_i].error), "header: %s", wrong[_i].header);
    ck_assert(f.tensors == 0 && f.t == NULL && f.entries == 0);
}
END_TEST

START_TEST(lying_length)
{
    tensor_file f;
    unsigned char file[32] = {0};
    ck_assert_int_eq(tensor_file_parse_safetensors("t", file, 7, &f, err, sizeof err), -1);
    ck_assert(error_is("t: 7 bytes, expected a safetensors file: its header length takes 8"));
    ck_assert_int_eq(tensor_file_parse_safetensors("t", "", 0, &f, err, sizeof err), -1);
    ck_assert(error_is("t: 0 bytes, expected a safetensors file: its header length takes 8"));
    file[0] = 25;
    ck_assert_int_eq(tensor_file_parse_safetensors("t", file, sizeof file, &f, err, sizeof err), -1);
    ck_assert(error_is("t: truncated: a header of 25 bytes is announced, 24 bytes follow"));
    memset(file, 0xff, 8);
    ck_assert_int_eq(tensor_file_parse_safetensors("t", file, sizeof file, &f, err, sizeof err), -1);
    ck_assert(
        error_is("t: is no safetensors, .npy or .npz file: a header length of 18446744073709551615, expected at most "
                 "100000000"));
    from_hex("01e1f50500000000", file); /* 100000001 */
    ck_assert_int_eq(tensor_file_parse_safetensors("t", file, sizeof file, &f, err, sizeof err), -1);
    ck_assert(
        error_is("t: is no safetensors, .npy or .npz file: a header length of 100000001, expected at most 100000000"));
    from_hex("00e1f50500000000", file); /* 100000000 is allowed, if the file has them */
    ck_assert_int_eq(tensor_file_parse_safetensors("t", file, sizeof file, &f, err, sizeof err), -1);
    ck_assert(error_is("t: truncated: a header of 100000000 bytes is announced, 24 bytes follow"));
    tensor_layout l;
    size_t need = 0;
    ck_assert_int_eq(tensor_layout_safetensors("t", file, 7, sizeof file, &need, &l, err, sizeof err), 0);
    ck_assert(need == 8 && l.t == NULL); /* more is wanted, and there is more */
    ck_assert_int_eq(tensor_layout_safetensors("t", file, 7, 7, &need, &l, err, sizeof err), -1);
    ck_assert(error_is("t: 7 bytes, expected a safetensors file: its header length takes 8"));
}
END_TEST

/* Where the tensors are, from the first bytes: for those who read every dtype of ours and the metadata, and for those who pass
 * other dtypes by. */
START_TEST(heads)
{
    static const char *const header[] = {
        "{\"__metadata__\":{\"op\":\"gate.linear\"},\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
        "{\"__metadata__\":{\"op\":\"gate.linear\"},\"x\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
    };
    unsigned char file[256];
    for (int i = 0; i < 2; i++) {
        const size_t n = by_hand(file, header[i], NULL, 0), all = n + 8;
        tensor_layout l;
        tensor_file metadata = {0};
        size_t need = 0;
        ck_assert_int_eq(tensor_head_safetensors("t", file, n - 1, all, &need, &l, &metadata, err, sizeof err), 0);
        ck_assert(need == n && l.t == NULL && metadata.entries == 0);
        ck_assert_int_eq(tensor_head_safetensors("t", file, n, all, &need, &l, &metadata, err, sizeof err), i == 0 ? 0 : -1);
        if (i == 0) {
            ck_assert(l.tensors == 1 && l.t[0].known && l.t[0].begin == n && l.t[0].end == all);
        } else {
            ck_assert(error_is("t: tensor \"x\": dtype \"I32\" is not supported, expected one of F64, F32, BF16, F16, I64"));
            ck_assert(l.tensors == 0 && l.t == NULL);
        }
        ck_assert_str_eq(tensor_file_meta(&metadata, "op"), "gate.linear");
        tensor_file_clear(&metadata);
        tensor_layout_clear(&l);
        ck_assert_int_eq(tensor_layout_safetensors("t", file, n, all, &need, &l, err, sizeof err), 0);
        ck_assert(l.tensors == 1 && l.t[0].known == (i == 0));
        ck_assert_str_eq(l.t[0].dtype_name, i == 0 ? "F32" : "I32");
        tensor_layout_clear(&l);
    }
}
END_TEST

/* No proper prefix of a file is a file. */
START_TEST(truncated_anywhere)
{
    static const char header[] = "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}}";
    unsigned char file[128];
    size_t n = by_hand(file, header, "\0\0\200?\0\0\0@\0\0@@", 12);
    tensor_file f;
    for (size_t m = 0; m < n; m++) {
        unsigned char *exact = malloc(m + 1); /* so that valgrind and ASan see a byte too far */
        memcpy(exact, file, m);
        ck_assert_msg(tensor_file_parse_safetensors("t", exact, m, &f, err, sizeof err) == -1,
                      "%zu of %zu bytes accepted", m, n);
        ck_assert(strncmp(err, "t: ", 3) == 0 && strchr(err, '\n') == NULL);
        free(exact);
    }
    ck_assert_int_eq(tensor_file_parse_safetensors("t", file, n, &f, err, sizeof err), 0);
    tensor_file_clear(&f);
}
END_TEST

/* --- safetensors: writing --- */

static void add_all_dtypes(tensor_file *f)
{
    static const double f64[] = {1.0, -0.0, 0x1p-1074};
    static const float f32[] = {2.5f, -1.0f};
    static const uint16_t half[] = {0x3c00, 0x7bff, 0x0001};
    static const int64_t i64[] = {INT64_MIN, 5};
    ck_assert_int_eq(tensor_file_add(f, "half", TENSOR_F16, 1, (const size_t[]){3}, half), 0);
    ck_assert_int_eq(tensor_file_add(f, "brain", TENSOR_BF16, 2, (const size_t[]){1, 3}, half), 0);
    ck_assert_int_eq(tensor_file_add(f, "double", TENSOR_F64, 2, (const size_t[]){3, 1}, f64), 0);
    ck_assert_int_eq(tensor_file_add(f, "single", TENSOR_F32, 1, (const size_t[]){2}, f32), 0);
    ck_assert_int_eq(tensor_file_add(f, "index", TENSOR_I64, 8, (const size_t[]){1, 1, 1, 2, 1, 1, 1, 1}, i64), 0);
    ck_assert_int_eq(tensor_file_add(f, "scalar", TENSOR_F64, 0, NULL, f64), 0);
    ck_assert_int_eq(tensor_file_add(f, "empty", TENSOR_F32, 2, (const size_t[]){0, 7}, NULL), 0);
    ck_assert_int_eq(tensor_file_add_meta(f, "op", "compete.layer"), 0);
    ck_assert_int_eq(tensor_file_add_meta(f, "parameters", "{\"k\": 2, \"order\": \"topk-softmax\"}"), 0);
}

START_TEST(round_trip)
{
    tensor_file f = {0}, g;
    add_all_dtypes(&f);
    const char *path = in_folder("all.safetensors");
    ck_assert_msg(tensor_file_write(path, &f, err, sizeof err) == 0, "%s", err);
    ck_assert_msg(tensor_file_read(path, &g, err, sizeof err) == 0, "%s", err);
    ck_assert(same_file(&f, &g));
    tensor_file_clear(&g);
    tensor_file_clear(&f);
    ck_assert_int_eq(empty_folder(), 1); /* and no temporary file is left */
}
END_TEST

/* The whole file, by hand: the header has 85 bytes, so 3 spaces make it 88 = 0x58. */
START_TEST(written_bytes)
{
    static const char expected[] =
        "\x58\0\0\0\0\0\0\0"
        "{\"__metadata__\":{\"case\":\"\\\"\\n\"},\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}   "
        "\0\0\200?\0\0\0\xc0";
    tensor_file f = {0};
    const char *path = in_folder("x.safetensors");
    ck_assert_int_eq(tensor_file_add(&f, "x", TENSOR_F32, 1, (const size_t[]){2}, (const float[]){1, -2}), 0);
    ck_assert_int_eq(tensor_file_add_meta(&f, "case", "\"\n"), 0);
    ck_assert_msg(tensor_file_write(path, &f, err, sizeof err) == 0, "%s", err);
    ck_assert(file_is(path, expected, sizeof expected - 1));
    tensor_file_clear(&f);
}
END_TEST

START_TEST(unwritable_content)
{
    const char *path = in_folder("x.safetensors");
    char line[256];
    tensor_file f = {0};
    ck_assert_int_eq(tensor_file_add(&f, "x", TENSOR_F32, 0, NULL, &(float){1}), 0);
    ck_assert_int_eq(tensor_file_add(&f, "x", TENSOR_F32, 0, NULL, &(float){2}), 0);
    ck_assert_int_eq(tensor_file_write(path, &f, err, sizeof err), -1);
    snprintf(line, sizeof line, "%s: tensor \"x\": cannot be written: the name is empty, reserved or there twice",
             path);
    ck_assert(error_is(line));
    tensor_file_clear(&f);
    ck_assert_int_eq(tensor_file_add(&f, "\xff", TENSOR_F32, 0, NULL, &(float){1}), 0);
    ck_assert_int_eq(tensor_file_write(path, &f, err, sizeof err), -1);
    snprintf(line, sizeof line, "%s: tensor \"\\xff\": cannot be written: a name that is not UTF-8, or out of memory",
             path);
    ck_assert(error_is(line));
    tensor_file_clear(&f);
    ck_assert_int_eq(tensor_file_add_meta(&f, "a", "1"), 0);
    ck_assert_int_eq(tensor_file_add_meta(&f, "a", "2"), 0);
    ck_assert_int_eq(tensor_file_write(path, &f, err, sizeof err), -1);
    snprintf(line, sizeof line, "%s: __metadata__ \"a\": cannot be written: not UTF-8, or there twice", path);
    ck_assert(error_is(line));
    tensor_file_clear(&f);
    ck_assert_int_eq(empty_folder(), 0);

    size_t nine[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    ck_assert_int_eq(tensor_file_add(&f, "x", TENSOR_F32, 9, nine, &(float){1}), -1);
    ck_assert_int_eq(tensor_file_add(&f, "x", TENSOR_F32, 2, (const size_t[]){SIZE_MAX, 2}, &(float){1}), -1);
    ck_assert_uint_eq(f.tensors, 0);
    tensor_file_clear(&f);
}
END_TEST

START_TEST(unwritable_place)
{
    tensor_file f = {0};
    char line[256];
    ck_assert_int_eq(tensor_file_write("/nowhere/x.safetensors", &f, err, sizeof err), -1);
    ck_assert(error_is("/nowhere/x.safetensors: cannot be written: No such file or directory"));
    ck_assert_int_eq(tensor_file_write(folder, &f, err, sizeof err), -1);
    snprintf(line, sizeof line, "%s: cannot be written: is a directory, expected a file", folder);
    ck_assert(error_is(line));
    if (access("/dev/full", W_OK) == 0) {
        ck_assert_int_eq(tensor_file_write("/dev/full", &f, err, sizeof err), -1);
        ck_assert(error_is("/dev/full: cannot be written: No space left on device"));
        ck_assert_int_eq(access("/dev/full", W_OK), 0);
    }
    tensor_file_clear(&f);
}
END_TEST

/* A disk that fills up half-way, here by the limit on a file's size: the old file stays as it was, and no other
 * appears. */
START_TEST(disk_full)
{
    tensor_file f = {0};
    double *zeros = calloc(10000, sizeof *zeros);
    const char *path = in_folder("x.safetensors");
    char line[256];
    put_file(path, "old", 3);
    ck_assert_int_eq(tensor_file_add(&f, "x", TENSOR_F64, 1, (const size_t[]){10000}, zeros), 0);
    free(zeros);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){5000, RLIM_INFINITY}), 0);
    ck_assert_int_eq(tensor_file_write(path, &f, err, sizeof err), -1);
    ck_assert_int_eq(tensor_file_write(in_folder("y.safetensors"), &f, line, sizeof line), -1);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}), 0);
    snprintf(line, sizeof line, "%s: cannot be written: File too large", path);
    ck_assert(error_is(line));
    ck_assert(file_is(path, "old", 3));
    ck_assert_int_eq(empty_folder(), 1);
    tensor_file_clear(&f);
}
END_TEST

/* A link stays a link, a pipe is written to, and the file's mode is the one that the user's mask gives. */
START_TEST(other_places)
{
    const file_part parts[] = {{"ab", 2}, {"", 0}, {"c", 1}};
    struct stat st;
    umask(027);
    ck_assert_int_eq(whole_file_write(in_folder("target"), 3, parts, err, sizeof err), 0);
    ck_assert(file_is(in_folder("target"), "abc", 3));
    ck_assert(stat(in_folder("target"), &st) == 0 && (st.st_mode & 0777) == 0640);
    ck_assert_int_eq(symlink("target", in_folder("link")), 0);
    ck_assert_int_eq(whole_file_write(in_folder("link"), 1, parts, err, sizeof err), 0);
    ck_assert(lstat(in_folder("link"), &st) == 0 && S_ISLNK(st.st_mode));
    ck_assert(file_is(in_folder("target"), "ab", 2));

    char here[512]; /* a path without a folder is of this one */
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    ck_assert_int_eq(chdir(folder), 0);
    const int result = whole_file_write("plain", 1, parts, err, sizeof err);
    ck_assert_int_eq(chdir(here), 0);
    ck_assert_msg(result == 0, "%s", err);
    ck_assert(file_is(in_folder("plain"), "ab", 2));

    int ends[2];
    char path[64], got[8] = "";
    ck_assert_int_eq(pipe(ends), 0);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[1]);
    ck_assert_msg(whole_file_write(path, 3, parts, err, sizeof err) == 0, "%s", err);
    ck_assert_int_eq(read(ends[0], got, sizeof got), 3);
    ck_assert_str_eq(got, "abc");
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(unreadable_place)
{
    tensor_file f;
    char line[256];
    ck_assert_int_eq(tensor_file_read("/nowhere/x", &f, err, sizeof err), -1);
    ck_assert(error_is("/nowhere/x: cannot be opened: No such file or directory"));
    ck_assert_int_eq(tensor_file_read(folder, &f, err, sizeof err), -1);
    snprintf(line, sizeof line, "%s: is a directory, expected a regular file", folder);
    ck_assert(error_is(line));
    ck_assert_int_eq(mkfifo(in_folder("pipe"), 0600), 0);
    ck_assert_int_eq(tensor_file_read(in_folder("pipe"), &f, err, sizeof err),
                     -1); /* and it does not wait for a writer */
    snprintf(line, sizeof line, "%s: is a pipe or a device, expected a regular file", in_folder("pipe"));
    ck_assert(error_is(line));
    put_file(in_folder("empty"), "", 0);
    ck_assert_int_eq(tensor_file_read(in_folder("empty"), &f, err, sizeof err), -1);
    snprintf(line, sizeof line, "%s: 0 bytes, expected a safetensors file: its header length takes 8",
             in_folder("empty"));
    ck_assert(error_is(line));
}
END_TEST

/* --- .npy and .npz --- */

/* 176 bytes */
static const char npy_f8[] =
    "934e554d5059010076007b276465736372273a20273c6638272c2027666f727472616e5f6f72646572273a2046616c73"
    "652c20277368617065273a2028322c2033292c207d202020202020202020202020202020202020202020202020202020"
    "202020202020202020202020202020202020202020202020202020202020200a000000000000f03f0000000000000040"
    "0000000000000840000000000000104000000000000014400000000000001840";
/* 140 bytes */
static const char npy_fortran_f2[] =
    "934e554d5059010076007b276465736372273a20273c6632272c2027666f727472616e5f6f72646572273a2054727565"
    "2c20277368617065273a2028322c2033292c207d20202020202020202020202020202020202020202020202020202020"
    "202020202020202020202020202020202020202020202020202020202020200a003c00440040004500420046";
/* 144 bytes */
static const char npy_big_i8[] =
    "934e554d5059010076007b276465736372273a20273e6938272c2027666f727472616e5f6f72646572273a2046616c73"
    "652c20277368617065273a2028322c292c207d2020202020202020202020202020202020202020202020202020202020"
    "202020202020202020202020202020202020202020202020202020202020200a0000000000000001fffffffffffffffe";
/* 132 bytes */
static const char npy_v2_scalar_f4[] =
    "934e554d50590200740000007b276465736372273a20273c6634272c2027666f727472616e5f6f72646572273a204661"
    "6c73652c20277368617065273a2028292c207d2020202020202020202020202020202020202020202020202020202020"
    "202020202020202020202020202020202020202020202020202020202020200a000000bf";
/* 132 bytes */
static const char npy_v3_big_f4[] =
    "934e554d50590300740000007b276465736372273a20273e6634272c2027666f727472616e5f6f72646572273a204661"
    "6c73652c20277368617065273a2028312c292c207d202020202020202020202020202020202020202020202020202020"
    "202020202020202020202020202020202020202020202020202020202020200a3fc00000";
/* 128 bytes */
static const char npy_empty[] =
    "934e554d5059010076007b276465736372273a20273c6638272c2027666f727472616e5f6f72646572273a2046616c73"
    "652c20277368617065273a2028302c2033292c207d202020202020202020202020202020202020202020202020202020"
    "202020202020202020202020202020202020202020202020202020202020200a";
/* 514 bytes */
static const char npz_stored[] =
    "504b030414000000000000002100645baabf900000009000000005001400782e6e707901001000900000000000000090"
    "00000000000000934e554d5059010076007b276465736372273a20273c6638272c2027666f727472616e5f6f72646572"
    "273a2046616c73652c20277368617065273a2028322c292c207d20202020202020202020202020202020202020202020"
    "20202020202020202020202020202020202020202020202020202020202020202020202020200a000000000000f03f00"
    "00000000000040504b030414000000000000002100439d311c880000008800000005001400792e6e7079010010008800"
    "0000000000008800000000000000934e554d5059010076007b276465736372273a20273c6938272c2027666f72747261"
    "6e5f6f72646572273a2046616c73652c20277368617065273a2028312c292c207d202020202020202020202020202020"
    "2020202020202020202020202020202020202020202020202020202020202020202020202020202020202020200a0300"
    "000000000000504b0102140314000000000000002100645baabf90000000900000000500000000000000000000008001"
    "00000000782e6e7079504b0102140314000000000000002100439d311c88000000880000000500000000000000000000"
    "008001c7000000792e6e7079504b0506000000000200020066000000860100000000";
/* 202 bytes */
static const char npz_deflated[] =
    "504b0304140000000800000021005ed6e93e4a0000008002000005001400782e6e70790100100080020000000000004a"
    "000000000000009bec17ea1b10c9c850c650ad9e925a9c5ca46ea5a06e9366a1aea3a09e965f54529498179f5f94920a"
    "12774bcc294e058a17672416a402f91a66263a9a3a0ab50ae4032e865130a20100504b01021403140000000800000021"
    "005ed6e93e4a00000080020000050000000000000000000000800100000000782e6e7079504b05060000000001000100"
    "33000000810000000000";

START_TEST(npy_values)
{
    static const struct {
        const char *hex;
        tensor_dtype dtype;
        size_t rank, dim[2], count;
        double value[6];
    } good[] = {
        {npy_f8, TENSOR_F64, 2, {2, 3}, 6, {1, 2, 3, 4, 5, 6}},
        {npy_fortran_f2, TENSOR_F16, 2, {2, 3}, 6, {1, 2, 3, 4, 5, 6}}, /* the bytes say 1 4 2 5 3 6 */
        {npy_big_i8, TENSOR_I64, 1, {2}, 2, {1, -2}},
        {npy_v2_scalar_f4, TENSOR_F32, 0, {0}, 1, {-0.5}},
        {npy_v3_big_f4, TENSOR_F32, 1, {1}, 1, {1.5}},
        {npy_empty, TENSOR_F64, 2, {0, 3}, 0, {0}},
    };
    unsigned char file[512];
    tensor_file f;
    ck_assert_int_eq(_i < (int)(sizeof good / sizeof *good), 1);
    size_t n = from_hex(good[_i].hex, file);
    ck_assert_msg(tensor_file_parse_npy("a/b.c.npy", file, n, &f, err, sizeof err) == 0, "%s", err);
    ck_assert_uint_eq(f.tensors, 1);
    ck_assert_str_eq(f.t[0].name, "b.c");
    ck_assert(f.t[0].dtype == good[_i].dtype && f.t[0].rank == good[_i].rank && f.t[0].count == good[_i].count);
    for (size_t i = 0; i < f.t[0].rank; i++) ck_assert_uint_eq(f.t[0].dim[i], good[_i].dim[i]);
    for (size_t i = 0; i < f.t[0].count; i++)
        ck_assert_msg(tensor_get(&f.t[0], i) == good[_i].value[i], "file %d, element %zu", _i, i);
    tensor_file_clear(&f);
    for (size_t m = 0; m < n; m++) { /* no proper prefix of a file is a file */
        unsigned char *exact = malloc(m + 1);
        memcpy(exact, file, m);
        ck_assert_int_eq(tensor_file_parse_npy("x.npy", exact, m, &f, err, sizeof err), -1);
        free(exact);
    }
}
END_TEST

/* A version 1.0 file around this text of a header, with `data` zero bytes. */
static size_t npy_by_hand(unsigned char *out, const char *header, size_t data)
{
    size_t length = strlen(header);
    memcpy(out, "\x93NUMPY\1\0", 8);
    out[8] = (unsigned char)(length & 255);
    out[9] = (unsigned char)(length >> 8);
    memcpy(out + 10, header, length);
    memset(out + 10 + length, 0, data);
    return 10 + length + data;
}

START_TEST(npy_headers_that_are_fine)
{
    static const char *const fine[] = {
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }\n",
        "{'shape':(1,),'fortran_order':True,'descr':'>f8'}   \n",
        "  { \"descr\" : \"=f8\" , 'shape': ( 1 , ) , 'fortran_order': False } \n",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1)}\n",
        "{'descr': '<f8', 'fortran_order': False, 'shape': ()}\n",
    };
    unsigned char file[256];
    tensor_file f;
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        ck_assert_msg(tensor_file_parse_npy("x.npy", file, npy_by_hand(file, fine[i], 8), &f, err, sizeof err) == 0,
                      "%s: %s", fine[i], err);
        tensor_file_clear(&f);
    }
}
END_TEST

static const struct {
    const char *header;
    size_t data;
    const char *error; /* after `d/x.npy: tensor "x": ` */
} wrong_npy[] = {
    {"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\n", 8,
     "npy dtype \"|O\" is not supported, expected f8, f4, f2 or i8 after < or > (Python objects are never read)"},
    {"{'descr': '|V2', 'fortran_order': False, 'shape': (1,)}\n", 2,
     "npy dtype \"|V2\" is not supported, expected f8, f4, f2 or i8 after < or > (bfloat16 has no npy dtype: use "
     "safetensors)"},
    {"{'descr': '<i4', 'fortran_order': False, 'shape': (1,)}\n", 4,
     "npy dtype \"<i4\" is not supported, expected f8, f4, f2 or i8 after < or >"},
    {"{'descr': '|f8', 'fortran_order': False, 'shape': (1,)}\n", 8,
     "npy dtype \"|f8\" is not supported, expected f8, f4, f2 or i8 after < or >"},
    {"{'descr': '', 'fortran_order': False, 'shape': (1,)}\n", 8,
     "npy dtype \"\" is not supported, expected f8, f4, f2 or i8 after < or >"},
    {"{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}\n", 8,
     "npy header: a structured dtype, expected f8, f4, f2 or i8"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}\n", 8,
     "8 bytes of data, expected 16 for shape [2] of F64"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}\n", 9,
     "9 bytes of data, expected 8 for shape [1] of F64"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296)}\n", 0,
     "npy header: the shape has more elements than memory has addresses"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,)}\n", 8,
     "npy header: expected a tuple of sizes after 'shape'"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}\n", 8,
     "npy header: expected a tuple of sizes after 'shape'"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (01,)}\n", 8,
     "npy header: expected a tuple of sizes after 'shape'"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (1 1)}\n", 8,
     "npy header: expected a tuple of sizes after 'shape'"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (1)}\n", 8,
     "npy header: expected a tuple after 'shape', found a number in parentheses"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': 1}\n", 8, "npy header: expected a tuple after 'shape'"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}\n", 8,
     "npy header: more than 8 dimensions"},
    {"{'descr': '<f8', 'fortran_order': 0, 'shape': (1,)}\n", 8,
     "npy header: expected True or False after 'fortran_order'"},
    {"{'descr': '<f8', 'fortran_order': Falsely, 'shape': (1,)}\n", 8, "npy header: expected , or }"},
    {"{'descr': '<f8', 'fortran_order': False}\n", 8, "npy header: expected 'descr', 'fortran_order' and 'shape'"},
    {"{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (1,)}\n", 8,
     "npy header: a key that is there twice"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'order': 1}\n", 8,
     "npy header: unknown key, expected 'descr', 'fortran_order' and 'shape'"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}", 8,
     "npy header: expected blanks and a newline after the dict"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}\n\n", 8,
     "npy header: expected blanks and a newline after the dict"},
    {"{'descr': '<f8', 'fortran_order': False, 'shape': (1,)", 8, "npy header: expected , or }"},
    {"{'descr': '<f8", 8, "npy header: expected a short string after 'descr'"},
    {"['descr']\n", 8, "npy header: expected a dict"},
    {"", 8, "npy header: expected a dict"},
};

START_TEST(wrong_npy_files)
{
    unsigned char file[256];
    char line[512];
    tensor_file f;
    size_t n = npy_by_hand(file, wrong_npy[_i].header, wrong_npy[_i].data);
    ck_assert_msg(tensor_file_parse_npy("d/x.npy", file, n, &f, err, sizeof err) == -1, "accepted: %s",
                  wrong_npy[_i].header);
    snprintf(line, sizeof line, "d/x.npy: tensor \"x\": %s", wrong_npy[_i].error);
    ck_assert_msg(error_is(line), "header: %s", wrong_npy[_i].header);
}
END_TEST

START_TEST(npy_frames)
{
    unsigned char file[256];
    tensor_file f;
    size_t n = npy_by_hand(file, "{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}\n", 8);
    file[6] = 4;
    ck_assert_int_eq(tensor_file_parse_npy("x.npy", file, n, &f, err, sizeof err), -1);
    ck_assert(error_is("x.npy: tensor \"x\": npy version 4.0, expected 1.0, 2.0 or 3.0"));
    file[6] = 1;
    file[9] = 0xff;
    ck_assert_int_eq(tensor_file_parse_npy("x.npy", file, n, &f, err, sizeof err), -1);
    ck_assert(error_is("x.npy: tensor \"x\": npy header: truncated"));
    file[1] = 'n';
    ck_assert_int_eq(tensor_file_parse_npy("x.npy", file, n, &f, err, sizeof err), -1);
    ck_assert(error_is("x.npy: tensor \"x\": npy header: expected the magic of an .npy file"));
}
END_TEST

/* By the first bytes.  A safetensors header of 0x04034b50 bytes begins as an archive does, but for its brace. */
START_TEST(told_apart)
{
    ck_assert(tensor_format_of("\x93NUMPY\1\0v", 9) == TENSOR_NPY && tensor_format_of("\x93NUMPZ\1\0v", 9) == TENSOR_SAFETENSORS);
    ck_assert(tensor_format_of("PK\3\4\24\0\0\0\0", 9) == TENSOR_NPZ && tensor_format_of("PK\5\6\0\0\0\0\0", 9) == TENSOR_NPZ);
    ck_assert(tensor_format_of("PK\3\4\0\0\0\0{", 9) == TENSOR_SAFETENSORS);
    ck_assert(tensor_format_of("PK\3\4\0\0\0\0{", 8) == TENSOR_NPZ); /* no ninth byte is there */
    ck_assert(tensor_format_of("\x93NUMP", 5) == TENSOR_SAFETENSORS && tensor_format_of("PK\3", 3) == TENSOR_SAFETENSORS);
}
END_TEST

START_TEST(npz_values)
{
    unsigned char file[1024];
    tensor_file f;
    const char *path = in_folder("a.npz");
    put_file(path, file, from_hex(npz_stored, file));
    ck_assert_msg(tensor_file_read(path, &f, err, sizeof err) == 0, "%s", err); /* by its content */
    ck_assert_uint_eq(f.tensors, 2);
    const tensor *x = tensor_file_find(&f, "x"), *y = tensor_file_find(&f, "y");
    ck_assert(x != NULL && x->dtype == TENSOR_F64 && x->count == 2 && tensor_get(x, 0) == 1 && tensor_get(x, 1) == 2);
    ck_assert(y != NULL && y->dtype == TENSOR_I64 && y->count == 1 && tensor_get(y, 0) == 3);
    tensor_file_clear(&f);

    size_t n = from_hex(npz_deflated, file);
    ck_assert_msg(tensor_file_parse_npz("a.npz", file, n, &f, err, sizeof err) == 0, "%s", err);
    ck_assert(f.tensors == 1 && f.t[0].count == 64 && tensor_get(&f.t[0], 63) == 0);
    tensor_file_clear(&f);
    ck_assert_int_eq(tensor_file_parse_npz("a.npz", file,
                                           from_hex("504b0506000000000000000000000000000000000000", file), &f, err,
                                           sizeof err),
                     0);
    ck_assert_uint_eq(f.tensors, 0); /* numpy.savez() of nothing */
    tensor_file_clear(&f);
    put_file(in_folder("x.npy"), file, from_hex(npy_f8, file));
    ck_assert_int_eq(tensor_file_read(in_folder("x.npy"), &f, err, sizeof err), 0);
    ck_assert_uint_eq(f.t[0].count, 6);
    tensor_file_clear(&f);
}
END_TEST

/* The sizes of an entry stand in its local header (bytes 18 and 22) and in the central directory (here from byte
 * 129 on, at 20 and 24); in between, from byte 55 on, is the deflated data. */
START_TEST(wrong_npz)
{
    unsigned char file[1024];
    tensor_file f;
    size_t n = from_hex(npz_deflated, file);
    file[60] ^= 4;
    ck_assert_int_eq(tensor_file_parse_npz("a.npz", file, n, &f, err, sizeof err), -1);
    ck_assert(error_is("a.npz: entry \"x.npy\": damaged, or out of memory: expected 640 bytes and their checksum"));
    from_hex(npz_deflated, file);
    file[14] ^= 1; /* the checksum, in both places */
    file[129 + 16] ^= 1;
    ck_assert_int_eq(tensor_file_parse_npz("a.npz", file, n, &f, err, sizeof err), -1);
    ck_assert(error_is("a.npz: entry \"x.npy\": damaged, or out of memory: expected 640 bytes and their checksum"));

    from_hex(npz_deflated, file);
    from_hex("ffffff3f", file + 129 + 24); /* a bomb: 1 GiB from 74 bytes */
    from_hex("ffffff3f", file + 22);
    ck_assert_int_eq(tensor_file_parse_npz("a.npz", file, n, &f, err, sizeof err), -1);
    ck_assert(error_is("a.npz: entry \"x.npy\": says 1073741823 bytes in 74, expected at most 76368"));

    from_hex(npz_deflated, file);
    memcpy(file + 30, "x.txt", 5);
    memcpy(file + 129 + 46, "x.txt", 5);
    ck_assert_int_eq(tensor_file_parse_npz("a.npz", file, n, &f, err, sizeof err), -1);
    ck_assert(error_is("a.npz: entry \"x.txt\": expected names that end in .npy"));

    from_hex(npz_deflated, file);
    file[8] = file[129 + 10] = 12; /* bzip2 */
    ck_assert_int_eq(tensor_file_parse_npz("a.npz", file, n, &f, err, sizeof err), -1);
    ck_assert(error_is("a.npz: entry \"x.npy\": compression method 12, expected stored or deflated"));

    from_hex(npz_deflated, file);
    file[6] = file[129 + 8] = 1;
    ck_assert_int_eq(tensor_file_parse_npz("a.npz", file, n, &f, err, sizeof err), -1);
    ck_assert(error_is("a.npz: entry \"x.npy\": is encrypted"));

    n = from_hex(npz_stored, file);
    file[199 + 30] = 'x'; /* y.npy becomes x.npy */
    file[441 + 46] = 'x';
    ck_assert_int_eq(tensor_file_parse_npz("a.npz", file, n, &f, err, sizeof err), -1);
    ck_assert_msg(strncmp(err, "a.npz: ", 7) == 0 && strstr(err, "expected each name once") != NULL, "%s", err);
    ck_assert(f.tensors == 0 && f.t == NULL);

    for (size_t m = 0; m < n; m++) {
        from_hex(npz_stored, file);
        ck_assert_int_eq(tensor_file_parse_npz("a.npz", file, m, &f, err, sizeof err), -1);
        ck_assert(strncmp(err, "a.npz: ", 7) == 0 && strchr(err, '\n') == NULL);
    }
}
END_TEST

/* --- manifest.json --- */

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_0 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define CASE(name, op, parameters, flags)                                                                              \
    "{\"name\":\"" name "\",\"op\":\"" op "\",\"parameters\":" parameters ",\"flags\":" flags                          \
    ",\"sha256\":{\"prompt\":\"" SHA_A "\",\"expected\":\"" SHA_0 "\"}}"
#define MANIFEST(cases) "{\"smoeref\":\"0.1.0\",\"suite\":\"core\",\"seed\":7,\"cases\":[" cases "]}"

START_TEST(manifest_bytes)
{
    static const char expected[] = "{\n"
                                   "  \"smoeref\": \"0.1.0\",\n"
                                   "  \"suite\": \"core\",\n"
                                   "  \"seed\": 9007199254740991,\n"
                                   "  \"cases\": [\n"
                                   "    {\"name\": \"gate.weights-ties\", \"op\": \"gate.weights\", \"parameters\": "
                                   "{\"k\": 2, \"theta\": 0.1, \"version\": \"2\"},\n"
                                   "     \"flags\": [\"ties\", \"wide\"],\n"
                                   "     \"sha256\": {\"prompt\": \"" SHA_A "\",\n"
                                   "                \"expected\": \"" SHA_0 "\"}},\n"
                                   "    {\"name\": \"b\", \"op\": \"numerics.exp\", \"parameters\": {},\n"
                                   "     \"flags\": [],\n"
                                   "     \"sha256\": {\"prompt\": \"" SHA_0 "\",\n"
                                   "                \"expected\": \"" SHA_A "\"}}\n"
                                   "  ]\n"
                                   "}\n";
    manifest m;
    const char *path = in_folder("manifest.json");
    ck_assert_int_eq(manifest_init(&m, "0.1.0", "core", MANIFEST_SEED_MAX, err, sizeof err), 0);
    ck_assert_msg(manifest_add(&m, "gate.weights-ties", "gate.weights", "{\"k\":2,\"theta\":1e-1,\"version\":\"2\"}",
                               "ties,wide", SHA_A, SHA_0, err, sizeof err) == 0,
                  "%s", err);
    ck_assert_msg(manifest_add(&m, "b", "numerics.exp", NULL, "", SHA_0, SHA_A, err, sizeof err) == 0, "%s", err);
    ck_assert_msg(manifest_write(path, &m, err, sizeof err) == 0, "%s", err);
    manifest_clear(&m);
    ck_assert(file_is(path, expected, sizeof expected - 1));

    ck_assert_msg(manifest_read(path, &m, err, sizeof err) == 0, "%s", err);
    ck_assert_str_eq(m.smoeref, "0.1.0");
    ck_assert_str_eq(m.suite, "core");
    ck_assert_uint_eq(m.seed, 9007199254740991u);
    ck_assert_uint_eq(m.cases, 2);
    ck_assert_str_eq(m.c[0].name, "gate.weights-ties");
    ck_assert_str_eq(m.c[0].op, "gate.weights");
    ck_assert_str_eq(m.c[0].parameters, "{\"k\": 2, \"theta\": 0.1, \"version\": \"2\"}");
    ck_assert_uint_eq(m.c[0].flags, 2);
    ck_assert(manifest_has_flag(&m.c[0], "ties") && manifest_has_flag(&m.c[0], "wide") &&
              !manifest_has_flag(&m.c[0], "tie"));
    ck_assert_str_eq(m.c[1].prompt_sha256, SHA_0);
    ck_assert_str_eq(m.c[1].expected_sha256, SHA_A);
    manifest_clear(&m);
}
END_TEST

/* The digests of a large case's blocks; as it is written, and as it is read. */
START_TEST(manifest_blocks)
{
    static const char expected[] = "{\n"
                                   "  \"smoeref\": \"0.1.0\",\n"
                                   "  \"suite\": \"large\",\n"
                                   "  \"seed\": 1,\n"
                                   "  \"cases\": [\n"
                                   "    {\"name\": \"a\", \"op\": \"x.y\", \"parameters\": {},\n"
                                   "     \"flags\": [],\n"
                                   "     \"sha256\": {\"prompt\": \"" SHA_A "\",\n"
                                   "                \"expected\": \"" SHA_0 "\"},\n"
                                   "     \"blocks\": {\"prompt\": [\"" SHA_0 "\",\n"
                                   "      \"" SHA_A "\"],\n"
                                   "                \"expected\": []}}\n"
                                   "  ]\n"
                                   "}\n";
    manifest m;
    ck_assert_int_eq(manifest_init(&m, "0.1.0", "large", 1, err, sizeof err), 0);
    ck_assert_int_eq(manifest_add(&m, "a", "x.y", NULL, NULL, SHA_A, SHA_0, err, sizeof err), 0);
    ck_assert_int_eq(manifest_add_blocks(&m, SHA_0 SHA_A, "", err, sizeof err), 0);
    ck_assert_msg(manifest_write(in_folder("b.json"), &m, err, sizeof err) == 0, "%s", err);
    manifest_clear(&m);
    ck_assert(file_is(in_folder("b.json"), expected, sizeof expected - 1));
    ck_assert_msg(manifest_read(in_folder("b.json"), &m, err, sizeof err) == 0, "%s", err);
    ck_assert_uint_eq(m.c[0].flags, 0);
    ck_assert_str_eq(m.c[0].prompt_blocks, SHA_0 SHA_A);
    ck_assert_str_eq(m.c[0].expected_blocks, "");
    manifest_clear(&m);
}
END_TEST

#define ROUNDOFF(value) "{\"smoeref\":\"0\",\"suite\":\"core\",\"seed\":1,\"cases\":[],\"roundoff\":" value "}"

START_TEST(manifest_roundoff)
{
    static const char text[] = ROUNDOFF("{\"tensors\":{\"y\":\"bf16\",\"d_x\":\"f32+tf32+0.5ulp\"},\"arithmetic\":\"f16\"}");
    manifest m;
    ck_assert_msg(manifest_parse("m", text, strlen(text), &m, err, sizeof err) == 0, "%s", err);
    for (int again = 0; again < 2; again++) { /* as it was read, and as it was written and read */
        const roundoff *r = m.roundoff;
        ck_assert_ptr_nonnull(r);
        ck_assert_str_eq(r->arithmetic->name, "f16");
        ck_assert(r->elementary_ulp == 0);
        ck_assert_uint_eq(r->tensors, 2);
        ck_assert_str_eq(r->name[0], "y");
        ck_assert_str_eq(r->tensor[0].storage.name, "bf16");
        ck_assert_str_eq(r->tensor[0].arithmetic.name, "f32");
        ck_assert(r->tensor[0].elementary_ulp == 4);
        ck_assert_str_eq(r->name[1], "d_x");
        ck_assert_str_eq(r->tensor[1].storage.name, "f32");
        ck_assert_str_eq(r->tensor[1].arithmetic.name, "tf32");
        ck_assert(r->tensor[1].elementary_ulp == 0.5);
        ck_assert_msg(manifest_write(in_folder("r.json"), &m, err, sizeof err) == 0, "%s", err);
        manifest_clear(&m);
        ck_assert_msg(manifest_read(in_folder("r.json"), &m, err, sizeof err) == 0, "%s", err);
    }
    manifest_clear(&m);

    static const char *const same[] = {
        /* what is left out stays out */
        "{}",
        "{\"elementary\": \"2ulp\"}",
        "{\"arithmetic\": \"tf32\"}",
        "{\"arithmetic\": \"f16\", \"elementary\": \"2ulp\"}",
        "{\"elementary\": \"0.5ulp\", \"tensors\": {\"y\": \"bf16+f32+4ulp\"}}",
        "{\"tensors\": {\"y\": \"bf16+f32+4ulp\", \"d_x\": \"f16+f16+1ulp\"}}",
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        char given[400], expected[400];
        snprintf(given, sizeof given, ROUNDOFF("%s"), same[i]);
        snprintf(expected, sizeof expected,
                 "{\n  \"smoeref\": \"0\",\n  \"suite\": \"core\",\n  \"seed\": 1,\n  \"roundoff\": %s,\n  \"cases\": []\n}\n",
                 same[i]);
        ck_assert_msg(manifest_parse("m", given, strlen(given), &m, err, sizeof err) == 0, "%s", err);
        ck_assert_msg(manifest_write(in_folder("r.json"), &m, err, sizeof err) == 0, "%s", err);
        manifest_clear(&m);
        ck_assert_msg(file_is(in_folder("r.json"), expected, strlen(expected)), "%s", same[i]);
    }
}
END_TEST

#define NO_ROUNDOFF "m: \"roundoff\": expected an object of strings, and \"tensors\" one of these"
#define BLOCKS(value) MANIFEST(CASE("a", "x.y", "{}", "[],\"blocks\":" value))

static const struct {
    const char *text, *error;
} wrong_manifest[] = {
    {"", "m: line 1: not valid JSON: \"'[' or '{' expected near end of file\""},
    {"[]", "m: expected a JSON object"},
    {"{\"smoeref\":\"0\",\"suite\":\"core\",\"seed\":1}", "m: missing field \"cases\""},
    {"{\"smoeref\":\"0\",\"suite\":\"core\",\"seed\":1,\"cases\":[],\"more\":0}", "m: unknown field \"more\""},
    {"{\"smoeref\":\"0\",\"suite\":\"core\",\"suite\":\"core\",\"seed\":1,\"cases\":[]}",
     "m: line 1: not valid JSON: \"duplicate object key near '\\x22suite\\x22'\""},
    {"{\"smoeref\":\"0\",\"suite\":\"core\",\"seed\":-1,\"cases\":[]}",
     "m: \"seed\": expected an integer from 0 to 9007199254740991"},
    {"{\"smoeref\":\"0\",\"suite\":\"core\",\"seed\":9007199254740992,\"cases\":[]}",
     "m: \"seed\": expected an integer from 0 to 9007199254740991"},
    {"{\"smoeref\":\"0\",\"suite\":\"core\",\"seed\":1.0,\"cases\":[]}",
     "m: \"seed\": expected an integer from 0 to 9007199254740991"},
    {"{\"smoeref\":\"0\",\"suite\":\"two words\",\"seed\":1,\"cases\":[]}",
     "m: \"smoeref\" and \"suite\": expected a word each"},
    {"{\"smoeref\":\"0\",\"suite\":\"core\",\"seed\":1,\"cases\":{}}", "m: \"cases\": expected an array"},
    {ROUNDOFF("[]"), NO_ROUNDOFF},
    {ROUNDOFF("{\"storage\":\"f32\"}"), NO_ROUNDOFF},
    {ROUNDOFF("{\"arithmetic\":\"f8\"}"),
     "m: \"roundoff\": the arithmetic is 'f8', expected one of f64, f32, tf32, bf16, f16"},
    {ROUNDOFF("{\"elementary\":\"4\"}"),
     "m: \"roundoff\": the elementary functions are within '4', expected such as 4ulp, at least 0.5ulp"},
    {ROUNDOFF("{\"elementary\":\"nanulp\"}"),
     "m: \"roundoff\": the elementary functions are within 'nanulp', expected such as 4ulp, at least 0.5ulp"},
    {ROUNDOFF("{\"tensors\":{\"y\":\"f32+4ulp+f32\"}}"),
     "m: \"roundoff\": tensor y has 'f32+4ulp+f32', expected P, P+A, P+Nulp or P+A+Nulp"},
    {ROUNDOFF("{\"tensors\":{\"y\":\"f32+bf16+9ulp\"}}"),
     "m: \"roundoff\": elementary functions within 9 ulp of bf16, of tensor y: at most 8 ulp can be bounded"},
    {ROUNDOFF("{\"arithmetic\":1}"), NO_ROUNDOFF},
    {ROUNDOFF("{\"elementary\":4}"), NO_ROUNDOFF},
    {ROUNDOFF("{\"tensors\":\"f32\"}"), NO_ROUNDOFF},
    {ROUNDOFF("{\"tensors\":{\"a-b\":\"f32\"}}"), NO_ROUNDOFF},
    {ROUNDOFF("{\"tensors\":{\"y\":32}}"), NO_ROUNDOFF},
    {ROUNDOFF("{\"elementary\":\"4\",\"arithmetic\":\"f32\"}"), /* the first fault is told, though others follow */
     "m: \"roundoff\": the elementary functions are within '4', expected such as 4ulp, at least 0.5ulp"},
    {ROUNDOFF("{\"tensors\":{\"y\":\"f32+4ulp+f32\",\"z\":\"f32\"},\"elementary\":\"4ulp\"}"),
     "m: \"roundoff\": tensor y has 'f32+4ulp+f32', expected P, P+A, P+Nulp or P+A+Nulp"},
    {ROUNDOFF("{\"arithmetic\":\"\\u0001 \\u007f~\\u00e9\"}"),
     "m: \"roundoff\": the arithmetic is '? ?~?" "?', expected one of f64, f32, tf32, bf16, f16"},
    {BLOCKS("[]"), "m: case \"a\": blocks: expected a JSON object"},
    {BLOCKS("{\"prompt\":[]}"), "m: case \"a\": blocks: missing field \"expected\""},
    {BLOCKS("{\"prompt\":\"" SHA_A "\",\"expected\":[]}"), "m: case \"a\": blocks: expected arrays of digests"},
    {BLOCKS("{\"prompt\":[],\"expected\":1}"), "m: case \"a\": blocks: expected arrays of digests"},
    {BLOCKS("{\"prompt\":[\"abc\"],\"expected\":[]}"),
     "m: case \"a\": blocks: block 0: expected 64 lower-case hex digits"},
    {BLOCKS("{\"prompt\":[],\"expected\":[\"" SHA_A "\",7]}"),
     "m: case \"a\": blocks: block 1: expected 64 lower-case hex digits"},
    {MANIFEST("7"), "m: case 1: expected a JSON object"},
    {MANIFEST("{\"name\":\"a\"}"), "m: case 1: missing field \"op\""},
    {MANIFEST(CASE("a", "x.y", "{}", "[],\"x\":0")), "m: case 1: unknown field \"x\""},
    {MANIFEST(CASE("../etc", "x.y", "{}", "[]")),
     "m: case \"../etc\": expected a plain file stem: letters, digits and . _ - + = , and no leading mark"},
    {MANIFEST(CASE(".a", "x.y", "{}", "[]")),
     "m: case \".a\": expected a plain file stem: letters, digits and . _ - + = , and no leading mark"},
    {MANIFEST(CASE("-a", "x.y", "{}", "[]")),
     "m: case \"-a\": expected a plain file stem: letters, digits and . _ - + = , and no leading mark"},
    {MANIFEST(CASE("a/b", "x.y", "{}", "[]")),
     "m: case \"a/b\": expected a plain file stem: letters, digits and . _ - + = , and no leading mark"},
    {MANIFEST(CASE("a;b", "x.y", "{}", "[]")),
     "m: case \"a;b\": expected a plain file stem: letters, digits and . _ - + = , and no leading mark"},
    {MANIFEST(CASE("", "x.y", "{}", "[]")),
     "m: case \"\": expected a plain file stem: letters, digits and . _ - + = , and no leading mark"},
    {MANIFEST(CASE("a", "x y", "{}", "[]")), "m: case \"a\": op \"x y\": expected the id of an operation"},
    {MANIFEST(CASE("a", "x.y", "[]", "[]")), "m: case \"a\": parameters: expected a JSON object"},
    {MANIFEST(CASE("a", "x.y", "{\"k\":true}", "[]")),
     "m: case \"a\": parameter \"k\": expected a plain name and an integer, a real or a word"},
    {MANIFEST(CASE("a", "x.y", "{\"k\":\"1,order=x\"}", "[]")),
     "m: case \"a\": parameter \"k\": expected a plain name and an integer, a real or a word"},
    {MANIFEST(CASE("a", "x.y", "{\"k=\":1}", "[]")),
     "m: case \"a\": parameter \"k=\": expected a plain name and an integer, a real or a word"},
    {MANIFEST(CASE("a", "x.y", "{}", "\"ties\"")), "m: case \"a\": expected \"flags\", an array of strings"},
    {MANIFEST(CASE("a", "x.y", "{}", "[1]")), "m: case \"a\": expected \"flags\", an array of strings"},
    {MANIFEST(CASE("a", "x.y", "{}", "[\"ties\",\"ties\"]")),
     "m: case \"a\": flag \"ties\": expected a word, each once, at most 64"},
    {MANIFEST(CASE("a", "x.y", "{}", "[]") "," CASE("a", "x.z", "{}", "[]")), "m: case \"a\": expected each name once"},
    {MANIFEST(CASE("a", "x.y", "{}", "[]") "," CASE("a", "x.y", "{}", "[]") "," CASE("b", "x.y", "{}", "[]")),
     "m: case \"a\": expected each name once"},
    {MANIFEST("{\"name\":\"a\",\"op\":\"x.y\",\"parameters\":{},\"flags\":[],\"sha256\":{\"prompt\":\"" SHA_A
              "\",\"expected\":\"0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF\"}}"),
     "m: case \"a\": sha256: expected 64 lower-case hex digits for prompt and for expected"},
    {MANIFEST("{\"name\":\"a\",\"op\":\"x.y\",\"parameters\":{},\"flags\":[],\"sha256\":{\"prompt\":\"" SHA_A "\"}}"),
     "m: case \"a\": sha256: missing field \"expected\""},
    {MANIFEST("{\"name\":\"a\",\"op\":\"x.y\",\"parameters\":{},\"flags\":[],\"sha256\":{\"prompt\":\"" SHA_A
              "\",\"expected\":\"ABC\"}}"),
     "m: case \"a\": sha256: expected 64 lower-case hex digits for prompt and for expected"},
};

START_TEST(wrong_manifests)
{
    manifest m;
    const char *text = wrong_manifest[_i].text;
    ck_assert_msg(manifest_parse("m", text, strlen(text), &m, err, sizeof err) == -1, "accepted: %s", text);
    ck_assert_msg(error_is(wrong_manifest[_i].error), "text: %s", text);
    ck_assert(m.cases == 0 && m.c == NULL && m.suite == NULL);
}
END_TEST

START_TEST(manifest_refuses)
{
    manifest m;
    ck_assert_int_eq(manifest_init(&m, "0", "core", MANIFEST_SEED_MAX + 1, err, sizeof err), -1);
    ck_assert_int_eq(manifest_init(&m, "", "core", 1, err, sizeof err), -1);
    ck_assert_int_eq(manifest_init(&m, "0", "two words", 1, err, sizeof err), -1);
    ck_assert(error_is("manifest: suite \"two words\": expected a word") && m.suite == NULL && m.smoeref == NULL);
    ck_assert_int_eq(manifest_init(&m, "0", "core", 1, err, sizeof err), 0);
    ck_assert_int_eq(manifest_add(&m, "a/b", "x.y", "", "", SHA_A, SHA_A, err, sizeof err), -1);
    ck_assert_int_eq(manifest_add(&m, "a", "x.y", "{", "", SHA_A, SHA_A, err, sizeof err), -1);
    ck_assert_int_eq(manifest_add(&m, "a", "x.y", "", "a b", SHA_A, SHA_A, err, sizeof err), -1);
    ck_assert_int_eq(manifest_add(&m, "a", "x.y", "", "", "", SHA_A, err, sizeof err), -1);
    char flags[5 * (MANIFEST_FLAGS + 1)] = "f0";
    for (int i = 1; i < MANIFEST_FLAGS; i++) snprintf(flags + strlen(flags), 6, ",f%d", i);
    ck_assert_int_eq(manifest_add(&m, "most", "x.y", "", flags, SHA_A, SHA_A, err, sizeof err), 0);
    ck_assert_uint_eq(m.c[0].flags, MANIFEST_FLAGS);
    manifest_clear(&m);
    ck_assert_int_eq(manifest_init(&m, "0", "core", 1, err, sizeof err), 0);
    strcat(flags, ",f64");
    ck_assert_int_eq(manifest_add(&m, "a", "x.y", "", flags, SHA_A, SHA_A, err, sizeof err), -1);
    ck_assert(error_is("manifest: case \"a\": flag \"f64\": expected a word, each once, at most 64"));
    ck_assert_uint_eq(m.cases, 0); /* what was refused leaves no trace */
    ck_assert_int_eq(manifest_add(&m, "a", "x.y", "", "", SHA_A, SHA_A, err, sizeof err), 0);
    ck_assert_int_eq(manifest_add(&m, "a", "x.y", "", "", SHA_A, SHA_A, err, sizeof err), 0);
    ck_assert_int_eq(manifest_write(in_folder("m.json"), &m, err, sizeof err), -1); /* a name twice */
    manifest_clear(&m);
    ck_assert_int_eq(empty_folder(), 0);
    char longest[MANIFEST_NAME + 2];
    memset(longest, 'a', sizeof longest);
    longest[MANIFEST_NAME] = '\0';
    ck_assert(manifest_name_ok(longest));
    longest[MANIFEST_NAME] = 'a';
    longest[MANIFEST_NAME + 1] = '\0';
    ck_assert(!manifest_name_ok(longest));
}
END_TEST

/* The reader and spec/schema/manifest.json are of one mind, on what is written and on each of the wrong manifests;
 * only that names and flags are there once is beyond the schema. */
START_TEST(manifest_schema)
{
    schema_check why;
    json_t *schema = schema_load("manifest.json");
    ck_assert_msg(schema != NULL,
                  "spec/schema/manifest.json cannot be read: set top_srcdir, or run this in the top folder");
    manifest m;
    ck_assert_int_eq(manifest_init(&m, "0.1.0", "core+large", 7, err, sizeof err), 0);
    ck_assert_int_eq(
        manifest_add(&m, "a", "x.y", "{\"k\": 2, \"theta\": 0.5, \"v\": \"2\"}", "ties", SHA_A, SHA_0, err, sizeof err),
        0);
    ck_assert_int_eq(manifest_write(in_folder("m.json"), &m, err, sizeof err), 0);
    manifest_clear(&m);
    json_t *written = json_load_file(in_folder("m.json"), 0, NULL);
    ck_assert_msg(schema_accepts(&why, schema, written), "%s: %s", why.where, why.what);
    json_decref(written);
    for (size_t i = 0; i < sizeof wrong_manifest / sizeof *wrong_manifest; i++) {
        const bool beyond = strstr(wrong_manifest[i].error, "each name once") != NULL ||
                            strstr(wrong_manifest[i].error, "flag \"ties\"") != NULL ||
                            strstr(wrong_manifest[i].error, "can be bounded") != NULL ||
                            strstr(wrong_manifest[i].text, "a-b") != NULL || /* a schema says nothing of keys */
                            strstr(wrong_manifest[i].error, "parameter \"k") != NULL;
        json_t *j = json_loads(wrong_manifest[i].text, JSON_REJECT_DUPLICATES, NULL);
        if (j != NULL && !beyond)
            ck_assert_msg(!schema_accepts(&why, schema, j), "the schema accepts %s", wrong_manifest[i].text);
        json_decref(j);
    }
    json_decref(schema);
}
END_TEST

/* A report with each of its fields, and what the schema must refuse about it. */
START_TEST(report_schema)
{
    static const char good[] =
        "{'smoeref':'0.1.0','suite':'core','seed':1,'seeds':2,'precision':'bf16','roundoff':{'storage':'bf16','arithmetic':'f32','elementary_ulp':4.0,'tensors':{'y':{'storage':'f32',"
        "'arithmetic':'f64','elementary_ulp':2}}},'forward':false,'passed':0,'failed':1,'operations':[{'"
        "op':'a.b',"
        "'cases':1,'failed':1,'equals':[{'class':'C','formula':'f','effect':'e','met':'m'}],"
        "'parts':[{'equals':null,'cases':['n']}],'factors':[{'tensor':'y',"
        "'factors':['1/K']}]}],'cases':[{'name':'a.b.c','op':'a.b','sizes':'T=1','parameters':'k=2','pass':false,"
        "'fault':null,'output':null,'decisions':{'taken':1,'ambiguous':0,'other':0,'inadmissible':0},'replayed':false,"
        "'first_to_depart':'y','tensors':[{'name':'y','kind':'output','pass':false,'present':true,'judged':true,"
        "'fault':null,'shape':[1,2],'outside':1,'vacuous':0,'ratio':'nan','worst':{'index':[0,1],'got':'nan','golden':"
        "1.5,"
        "'bound':'inf'},'factors':[]}],'details':['a sentence'],'equals':[]}],'power':[{'op':'a.b','class':'C',"
        "'exposed':true,'invisible':null}]}";
    static const struct {
        const char *old, *new;
    } spoil[] = {
        {"'seed':1,", ""},
        {"'seed':1", "'seed':-1"},
        {"'seed':1", "'seed':1.5"},
        {"'bf16'", "'fp8'"},
        {"'arithmetic':'f32'", "'arithmetic':'fp8'"},
        {"'arithmetic':'f64',", ""},
        {"'storage':'bf16',", ""},
        {"'forward':false", "'forward':0"},
        {"'power'", "'powers'"},
        {"'ratio':'nan'", "'ratio':'large'"},
        {"'output','pass'", "'result','pass'"},
        {"'index':[0,1]", "'index':['0']"},
        {"'exposed':true", "'exposed':1"},
        {"'taken':1,", ""},
        {"'parts'", "'part'"},
        {"'cases':['n']", "'cases':[1]"},
    };
    schema_check why;
    json_t *schema = schema_load("report.json");
    ck_assert_msg(schema != NULL,
                  "spec/schema/report.json cannot be read: set top_srcdir, or run this in the top folder");
    for (size_t i = 0; i <= sizeof spoil / sizeof *spoil; i++) {
        char text[2000];
        const char *at = i == 0 ? NULL : strstr(good, spoil[i - 1].old);
        if (at == NULL) {
            ck_assert_uint_eq(i, 0);
            snprintf(text, sizeof text, "%s", good);
        } else {
            snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, spoil[i - 1].new,
                     at + strlen(spoil[i - 1].old));
        }
        for (char *c = text; *c != '\0'; c++)
            if (*c == '\'') *c = '"';
        json_t *j = json_loads(text, 0, NULL);
        ck_assert_ptr_nonnull(j);
        ck_assert_msg(schema_accepts(&why, schema, j) == (i == 0), "%s: %s: %s", i == 0 ? "refused" : spoil[i - 1].new,
                      why.where, why.what);
        json_decref(j);
    }
    json_decref(schema);
}
END_TEST

/* Real parameters are printed with the fewest digits that are read back as the same double. */
START_TEST(parameter_text)
{
    static const struct {
        const char *json, *set;
    } same[] = {
        {"{}", ""},
        {"{\"k\": 2, \"order\": \"topk-softmax\"}", "k=2,order=topk-softmax"},
        {"{\"theta\": 0.125, \"c_zloss\": 0.001, \"x\": -1e-300}", "theta=0.125,c_zloss=0.001,x=-1e-300"},
        {"{\"x\": 0.30000000000000004}", "x=0.30000000000000004"},
        {"{\"k\": -9223372036854775808}", "k=-9223372036854775808"},
        {"{\"x\": -0.0, \"y\": 0, \"z\": 1.0, \"w\": 1e+300}", "x=-0.0,y=0,z=1.0,w=1e+300"},
        {"{\"x\": \"1e999\", \"y\": \"nan\", \"z\": \"0x1p3\", \"v\": \"2.\"}",
         "x=1e999,y=nan,z=0x1p3,v=2."}, /* no JSON numbers */
    };
    char *text;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        ck_assert_msg(manifest_parameters_to_set("p", same[i].json, &text, err, sizeof err) == 0, "%s", err);
        ck_assert_str_eq(text, same[i].set);
        free(text);
        ck_assert_msg(manifest_set_to_parameters("p", same[i].set, &text, err, sizeof err) == 0, "%s", err);
        ck_assert_str_eq(text, same[i].json);
        free(text);
    }
    ck_assert_int_eq(manifest_set_to_parameters("p", "x=-0", &text, err, sizeof err), 0);
    ck_assert_str_eq(text, "{\"x\": -0.0}"); /* found by fuzz_manifest: as an integer it would lose its sign */
    free(text);
    ck_assert_int_eq(manifest_parameters_to_set("p", "{\"version\": \"2\"}", &text, err, sizeof err), 0);
    ck_assert_str_eq(text,
                     "version=2"); /* a choice that looks like a number: the operation's record knows which it is */
    free(text);
    ck_assert_int_eq(manifest_parameters_to_set("p", "{\"k\":1,\"k\":2}", &text, err, sizeof err), -1);
    ck_assert(error_is("p: parameters: not valid JSON: \"duplicate object key near '\\x22k\\x22'\""));
    ck_assert_int_eq(manifest_parameters_to_set("p", "[1]", &text, err, sizeof err), -1);
    ck_assert(error_is("p: parameters: expected a JSON object"));
    ck_assert_int_eq(manifest_set_to_parameters("p", "k", &text, err, sizeof err), -1);
    ck_assert(error_is("p: parameter \"k\": expected name=value, each name once"));
    ck_assert_int_eq(manifest_set_to_parameters("p", "k=1,k=2", &text, err, sizeof err), -1);
    ck_assert_int_eq(manifest_set_to_parameters("p", "=1", &text, err, sizeof err), -1);
    ck_assert_int_eq(manifest_set_to_parameters("p", "k=a b", &text, err, sizeof err), -1);
}
END_TEST

/* --- digests and quotes --- */

/* FIPS 180-4's examples; a million a's take more than one block of reading. */
START_TEST(digests)
{
    char hex[65];
    char *a = malloc(1000000);
    memset(a, 'a', 1000000);
    put_file(in_folder("a"), a, 1000000);
    free(a);
    put_file(in_folder("abc"), "abc", 3);
    put_file(in_folder("empty"), "", 0);
    ck_assert_int_eq(tensor_file_sha256(in_folder("abc"), hex, err, sizeof err), 0);
    ck_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    ck_assert_int_eq(tensor_file_sha256(in_folder("empty"), hex, err, sizeof err), 0);
    ck_assert_str_eq(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    ck_assert_int_eq(tensor_file_sha256(in_folder("a"), hex, err, sizeof err), 0);
    ck_assert_str_eq(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    ck_assert_int_eq(tensor_file_sha256("/nowhere", hex, err, sizeof err), -1);
    ck_assert(error_is("/nowhere: cannot be opened: No such file or directory"));
}
END_TEST

START_TEST(quotes)
{
    char q[TENSOR_QUOTED], longer[300];
    ck_assert_str_eq(tensor_quote(q, "w1"), "\"w1\"");
    ck_assert_str_eq(tensor_quote(q, "a\n\"\\\x1b\xc2\x9b"), "\"a\\x0a\\x22\\x5c\\x1b\\xc2\\x9b\"");
    for (size_t n = 60; n < sizeof longer; n++) {
        memset(longer, n % 2 ? 'a' : '\n', n);
        longer[n] = '\0';
        tensor_quote(q, longer);
        ck_assert(strlen(q) < TENSOR_QUOTED);
        if (n > 80) ck_assert_str_eq(q + strlen(q) - 4, "...\"");
    }
    char small[8];
    ck_assert_int_eq(tensor_fail(small, sizeof small, "%s", "0123456789"), -1);
    ck_assert_str_eq(small, "0123456");
    ck_assert_int_eq(tensor_fail(small, 0, "%s", "no room"), -1);
    ck_assert_str_eq(small, "0123456");
    ck_assert_int_eq(tensor_fail(NULL, 0, "%s", "nothing"), -1);
}
END_TEST

/* --- negative controls: the comparisons above can say no --- */

START_TEST(controls)
{
    unsigned char file[512];
    tensor_file f = {0}, g = {0};
    quiet = true;
    snprintf(err, sizeof err, "one line");
    ck_assert(error_is("one line") && !error_is("another line"));
    put_file(in_folder("x"), "abc", 3);
    ck_assert(file_is(in_folder("x"), "abc", 3));
    ck_assert(!file_is(in_folder("x"), "abd", 3) && !file_is(in_folder("x"), "ab", 2) &&
              !file_is(in_folder("y"), "abc", 3));
    ck_assert(!values_are("F16", 1, "003c", (const double[]){1.5}));
    ck_assert(!values_are("F16", 1, "0080", (const double[]){0.0}));
    ck_assert(!values_are("F16", 1, "017e", (const double[]){1.0}));

    add_all_dtypes(&f);
    add_all_dtypes(&g);
    ck_assert(same_file(&f, &g));
    for (size_t i = 0; i < g.tensors; i++) {
        unsigned char *byte = g.t[i].data;
        if (g.t[i].count == 0) continue;
        byte[1] ^= 1;
        ck_assert(!same_file(&f, &g));
        byte[1] ^= 1;
    }
    g.t[2].dim[0] = 4;
    ck_assert(!same_file(&f, &g));
    g.t[2].dim[0] = 3;
    g.entry[1].value[0] = '[';
    ck_assert(!same_file(&f, &g));
    tensor_file_clear(&f);
    tensor_file_clear(&g);

    /* a table entry made right is accepted: the tables of errors do not pass because everything is refused */
    ck_assert_int_eq(tensor_file_parse_safetensors("t", file,
                                                   by_hand(file,
                                                           "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],"
                                                           "\"data_offsets\":[0,4]}}",
                                                           "\0\0\0\0", 4),
                                                   &f, err, sizeof err),
                     0);
    tensor_file_clear(&f);
    manifest m;
    const char *text = MANIFEST(CASE("a", "x.y", "{}", "[]"));
    ck_assert_int_eq(manifest_parse("m", text, strlen(text), &m, err, sizeof err), 0);
    manifest_clear(&m);
}
END_TEST

#define COUNT(array) ((int)(sizeof array / sizeof *array))

int main(void)
{
    Suite *s = suite_create("formats");
    TCase *t = tcase_create("formats");
    suite_add_tcase(s, t);
    tcase_set_timeout(t, 60); /* Valgrind on a busy machine */
    tcase_add_checked_fixture(t, make_folder, drop_folder);
    tcase_add_test(t, dtype_values);
    tcase_add_test(t, every_half);
    tcase_add_test(t, widening);
    tcase_add_test(t, read_by_hand);
    tcase_add_test(t, read_nothing);
    tcase_add_loop_test(t, wrong_safetensors, 0, COUNT(wrong));
    tcase_add_test(t, lying_length);
    tcase_add_test(t, heads);
    tcase_add_test(t, truncated_anywhere);
    tcase_add_test(t, round_trip);
    tcase_add_test(t, written_bytes);
    tcase_add_test(t, unwritable_content);
    tcase_add_test(t, unwritable_place);
    tcase_add_test(t, disk_full);
    tcase_add_test(t, other_places);
    tcase_add_test(t, unreadable_place);
    tcase_add_loop_test(t, npy_values, 0, 6);
    tcase_add_test(t, npy_headers_that_are_fine);
    tcase_add_loop_test(t, wrong_npy_files, 0, COUNT(wrong_npy));
    tcase_add_test(t, npy_frames);
    tcase_add_test(t, told_apart);
    tcase_add_test(t, npz_values);
    tcase_add_test(t, wrong_npz);
    tcase_add_test(t, manifest_bytes);
    tcase_add_test(t, manifest_blocks);
    tcase_add_loop_test(t, wrong_manifests, 0, COUNT(wrong_manifest));
    tcase_add_test(t, manifest_refuses);
    tcase_add_test(t, manifest_schema);
    tcase_add_test(t, manifest_roundoff);
    tcase_add_test(t, report_schema);
    tcase_add_test(t, parameter_text);
    tcase_add_test(t, digests);
    tcase_add_test(t, quotes);
    tcase_add_test(t, controls);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
