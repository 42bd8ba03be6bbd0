/* What the other readers refuse and take (the pipe's lines, shards, dumps, prompts, archives, verdicts), condition by condition: tests/check_formats.c has
 * safetensors, .npy and manifests.  Files are written by hand; expected texts follow from spec/formats.md and the limits stated
 * in the headers.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <check.h>
#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

#include "dump.h"
#include "npz.h"
#include "prompt.h"
#include "shards.h"
#include "stream.h"
#include "tensorfile.h"
#include "verdict_store.h"

static char folder[64], err[TENSOR_ERROR];

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "%s", "/tmp/check_readers.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static const char *in_folder(const char *name)
{
    static char path[4][512];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static void drop_folder(void)
{
    DIR *d = opendir(folder);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        if (*e->d_name != '.') unlink(in_folder(e->d_name));
    if (d != NULL) closedir(d);
    rmdir(folder);
}

static void put_file(const char *name, const void *bytes, size_t n)
{
    FILE *f = fopen(in_folder(name), "wb");
    ck_assert(f != NULL && fwrite(bytes, 1, n, f) == n);
    ck_assert_int_eq(fclose(f), 0);
}

/* A safetensors file by its definition: length, header, data. */
static void put_safetensors(const char *name, const char *header, const void *data, size_t n)
{
    unsigned char bytes[4096] = {0};
    const size_t length = strlen(header);
    bytes[0] = (unsigned char)(length & 255);
    bytes[1] = (unsigned char)(length >> 8);
    ck_assert_uint_lt(8 + length + n, sizeof bytes);
    memcpy(bytes + 8, header, length);
    if (data) memcpy(bytes + 8 + length, data, n);
    put_file(name, bytes, 8 + length + n);
}

/* Does the line of the error begin with this text, after the folder's name if it has that? */
static bool says(const char *text)
{
    const char *s = err;
    if (strncmp(s, folder, strlen(folder)) == 0) s += strlen(folder) + 1;
    if (strncmp(s, text, strlen(text)) == 0 && strchr(err, '\n') == NULL) return true;
    fprintf(stderr, "  found:    %s\n  expected: %s\n", s, text);
    return false;
}

/* --- the pipe ----------------------------------------------------------------------------------------------------- */

#define TENSOR(fields) "{\"name\": \"c\", \"tensors\": {\"x\": {" fields "}}}"

static const struct {
    const char *line;
    int status;
    const char *error;
} wrong_line[] = {
    {"[1]", -1, "is no JSON object"},
    {"{\"a", -1, "is not valid JSON: "},
    {"{\"a\": \x01}", -1, "is not valid JSON: invalid token near '?' at byte"},
    {"{\"a\": \x7f}", -1, "is not valid JSON: invalid token near '?' at byte"},
    {"{\"name\": \"c\"}", -1, "an answer: a field is missing, expected \"name\", \"tensors\""},
    {"{\"name\": \"c\", \"tensors\": {}, \"more\": 1}", -1, "an answer: unknown field \"more\", expected \"name\", \"tensors\""},
    {"{\"name\": 1, \"tensors\": {}}", -1, "name: expected a string"},
    {"{\"name\": \"c\", \"tensors\": []}", 1, "tensors: expected an object"},
    {"{\"name\": \"c\", \"tensors\": {\"\": {}}}", 1, "a tensor without a name"},
    {"{\"name\": \"c\", \"tensors\": {\"x\": 1}}", 1, "\"x\": expected an object"},
    {TENSOR("\"dtype\": \"F64\", \"shape\": []"), 1, "\"x\": a field is missing, expected \"dtype\", \"shape\", \"data\""},
    {TENSOR("\"dtype\": 1, \"shape\": [], \"data\": [1]"), 1, "\"x\": dtype: expected one of " TENSOR_DTYPES},
    {TENSOR("\"dtype\": \"F8\", \"shape\": [], \"data\": [1]"), 1, "\"x\": dtype: expected one of " TENSOR_DTYPES},
    {TENSOR("\"dtype\": \"F64\", \"shape\": 1, \"data\": [1]"), 1, "\"x\": shape: expected an array of at most 8 sizes"},
    {TENSOR("\"dtype\": \"F64\", \"shape\": [1,1,1,1,1,1,1,1,1], \"data\": [1]"), 1, "\"x\": shape: expected an array"},
    {TENSOR("\"dtype\": \"F64\", \"shape\": [\"1\"], \"data\": [1]"), 1, "\"x\": shape: expected an array"},
    {TENSOR("\"dtype\": \"F64\", \"shape\": [-1], \"data\": [1]"), 1, "\"x\": shape: expected an array"},
    {TENSOR("\"dtype\": \"F64\", \"shape\": [1e10], \"data\": [1]"), 1, "\"x\": shape: expected an array"},
    {TENSOR("\"dtype\": \"F64\", \"shape\": [1.5], \"data\": [1]"), 1, "\"x\": shape: expected an array"},
    /* 2^23 three times is 2^69 elements */
    {TENSOR("\"dtype\": \"F64\", \"shape\": [8388608, 8388608, 8388608], \"data\": []"), 1, "\"x\": shape: expected an array"},
    {TENSOR("\"dtype\": \"F64\", \"shape\": [1], \"data\": 1"), 1, "\"x\": data: expected an array of numbers"},
    {TENSOR("\"dtype\": \"F64\", \"shape\": [2], \"data\": [1]"), 1, "\"x\": data has 1 numbers, expected 2 for shape [2]"},
    {TENSOR("\"dtype\": \"F64\", \"shape\": [2], \"data\": [1, \"one\"]"), 1, "\"x\": element 1 is no number, nor one of the"},
    {TENSOR("\"dtype\": \"F64\", \"shape\": [1], \"data\": [true]"), 1, "\"x\": element 0 is no number, nor one of the"},
    {TENSOR("\"dtype\": \"I64\", \"shape\": [1], \"data\": [0.5]"), 1, "\"x\": element 0 is no whole number of I64"},
    {TENSOR("\"dtype\": \"I64\", \"shape\": [1], \"data\": [1e16]"), 1, "\"x\": element 0 is no whole number of I64"},
    {TENSOR("\"dtype\": \"I64\", \"shape\": [1], \"data\": [\"nan\"]"), 1, "\"x\": element 0 is no whole number of I64"},
};

START_TEST(wrong_lines)
{
    char *name;
    tensor_file f;
    const char *line = wrong_line[_i].line;
    ck_assert_int_eq(stream_read_answer(line, strlen(line), &name, &f, err, sizeof err), wrong_line[_i].status);
    ck_assert(says(wrong_line[_i].error));
    ck_assert(f.tensors == 0 && f.t == NULL);
    if (wrong_line[_i].status == 1) ck_assert_str_eq(name, "c");
    free(name);
}
END_TEST

/* What JSON does not have is explained; 1001 brackets are refused before anything is parsed, 1000 are not. */
START_TEST(line_limits)
{
    char line[2 * STREAM_BRACKETS + 10];
    ck_assert_ptr_null(stream_parse("{\"x\": NaN}", 10, err, sizeof err));
    ck_assert_ptr_nonnull(strstr(err, "(what JSON does not have is one of the strings"));
    ck_assert_ptr_null(stream_parse("{\"x\": Infinity}", 15, err, sizeof err));
    ck_assert_ptr_nonnull(strstr(err, "(what JSON does not have is one of the strings"));
    ck_assert_ptr_null(stream_parse("{\"x\": nil}", 10, err, sizeof err));
    ck_assert_ptr_null(strstr(err, "(what JSON does not have"));
    for (int n = STREAM_BRACKETS; n <= STREAM_BRACKETS + 1; n++) {
        size_t at = (size_t)snprintf(line, sizeof line, "{\"x\":");
        for (int i = 1; i < n; i++) line[at++] = '[';
        for (int i = 1; i < n; i++) line[at++] = ']';
        line[at++] = '}';
        json_t *root = stream_parse(line, at, err, sizeof err);
        ck_assert_int_eq(root != NULL, n == STREAM_BRACKETS);
        json_decref(root);
    }
    ck_assert(says("1001 arrays and objects, expected at most 1000"));
}
END_TEST

static const struct {
    const char *dtype, *data;
    size_t n;
    double value[8];
} right_line[] = {
    {"F64", "1, -0, 0.1, \"nan\", \"inf\", \"-inf\"", 6, {1, -0.0, 0.1, NAN, INFINITY, -INFINITY}},
    {"F32", "0.1, 1e39, -2", 3, {0x1.99999ap-4, INFINITY, -2}},
    /* 8 bits: 1 + 2^-8 is a tie, to even 1; 1 + 3 2^-8 is a tie, to even 1 + 2^-6; 2^-133 is the least */
    {"BF16", "1, 1.00390625, 1.01171875, 9.18354961579912e-41, \"nan\", \"-inf\", 0", 7,
     {1, 1, 1.015625, 0x1p-133, NAN, -INFINITY, 0}},
    /* 11 bits: 65520 is the tie between 65504 and 2^16, which there is not; 2^-25 is the tie between 0 and 2^-24 */
    {"F16", "1, -2, 65519, 65520, 5.9604644775390625e-8, 2.98023223876953125e-8, \"nan\", \"-inf\"", 8,
     {1, -2, 65504, INFINITY, 0x1p-24, 0, NAN, -INFINITY}},
    {"I64", "7, -1, 9007199254740992", 3, {7, -1, 0x1p53}},
    {"F64", "", 0, {0}},
};

START_TEST(right_lines)
{
    char line[400], *name;
    tensor_file f;
    snprintf(line, sizeof line, "{\"name\": \"c\", \"tensors\": {\"x\": {\"dtype\": \"%s\", \"shape\": [%zu], \"data\": [%s]}}}",
             right_line[_i].dtype, right_line[_i].n, right_line[_i].data);
    ck_assert_msg(stream_read_answer(line, strlen(line), &name, &f, err, sizeof err) == 0, "%s", err);
    ck_assert(f.tensors == 1 && f.t[0].count == right_line[_i].n && strcmp(name, "c") == 0);
    for (size_t i = 0; i < f.t[0].count; i++) {
        const double got = tensor_get(f.t, i), x = right_line[_i].value[i];
        ck_assert_msg(isnan(x) ? isnan(got) : got == x && !signbit(got) == !signbit(x), "element %zu: %a, expected %a", i, got, x);
    }
    free(name);
    tensor_file_clear(&f);
}
END_TEST

/* The line of every operation's first case is a JSON object that says what the case is, and so do its files. */
START_TEST(every_prompt)
{
    for (size_t i = 0; op_registry[i]; i++) {
        const op_record *op = op_registry[i];
        op_case *c = op_case_from_spec(op, &op->cases[0], 1, err, sizeof err), *back;
        char *text = NULL, *name = (char *)"";
        size_t n = 0, cotangents;
        tensor_file f = {0};
        ck_assert_msg(c != NULL, "%s", err);
        FILE *memory = open_memstream(&text, &n);
        ck_assert_int_eq(stream_write_prompt(memory, c, "c"), 0);
        fclose(memory);
        json_t *line = stream_parse(text, n, err, sizeof err);
        ck_assert_msg(line != NULL, "%s: %s", op->id, err);
        ck_assert_str_eq(json_string_value(json_object_get(line, "op")), op->id);
        const json_t *inputs = json_object_get(line, "inputs");
        for (size_t k = 0; op->in[k].name; k++) {
            const json_t *data = json_object_get(json_object_get(inputs, op->in[k].name), "data");
            ck_assert_uint_eq(json_array_size(data), c->in[k].count);
            for (size_t j = 0; j < c->in[k].count; j++)
                ck_assert(json_real_value(json_array_get(data, j)) ==
                          (c->in[k].i64 ? (double)c->in[k].i64[j] : c->in[k].f64[j]));
        }
        json_decref(line);
        free(text);

        ck_assert_int_eq(op_add_prompt(&f, c, NULL), 0);
        ck_assert_int_eq(tensor_file_write(in_folder("p"), &f, err, sizeof err), 0);
        tensor_file_clear(&f);
        back = op_case_from_prompt(in_folder("p"), op, NULL, &name, &cotangents, err, sizeof err);
        ck_assert_msg(back != NULL, "%s", err);
        ck_assert_ptr_null(name);
        for (size_t k = 0; op->in[k].name; k++)
            for (size_t j = 0; j < c->in[k].count; j++)
                ck_assert(c->in[k].i64 ? back->in[k].i64[j] == c->in[k].i64[j] : back->in[k].f64[j] == c->in[k].f64[j]);
        op_case_free(back);
        for (int gradients = 0; gradients < 2; gradients++) {
            size_t tensors = 0;
            ck_assert_int_eq(op_add_answer(&f, c, gradients != 0), 0);
            for (size_t k = 0; op->out[k].name; k++) tensors++;
            for (size_t k = 0; gradients && op->in[k].name; k++) tensors += (op->in[k].flags & OP_DIFF) != 0;
            ck_assert_uint_eq(f.tensors, tensors);
            tensor_file_clear(&f);
        }
        op_case_free(c);
    }
}
END_TEST

/* --- prompts ------------------------------------------------------------------------------------------------------ */

#define R(fields) "\"r\":{\"dtype\":\"F64\",\"shape\":[1,2],\"data_offsets\":[0,16]}" fields
#define META(fields) "{\"__metadata__\":{" fields "},"

static const struct {
    const char *header;
    bool asked; /* for gate.weights */
    const char *error;
} wrong_prompt[] = {
    {META("\"op\":\"gate.weights\",\"mood\":\"x\"") R("}"), false, "p: metadata: unknown key 'mood', expected op, parameters or"},
    {META("\"op\\u0001\":\"x\"") R("}"), false, "p: metadata: unknown key 'op?', expected"},
    {"{" R("}"), false, "p: metadata: no key 'op', expected the id of an operation"},
    {META("\"op\":\"gate.linear\"") R("}"), true, "p: metadata: op is 'gate.linear', expected 'gate.weights'"},
    {META("\"op\":\"gate.none\"") R("}"), false, "p: metadata: op is 'gate.none', expected an operation (see smoeref list)"},
    {META("\"op\":\"gate.weights\",\"parameters\":\"{\"") R("}"), false, "p: parameters: not valid JSON: "},
    {META("\"op\":\"gate.weights\",\"parameters\":\"{\\\"k\\\": 3}\"") R("}"), false, "p: "},
    {"{}", true, "p: r: missing, expected an input [T,N] of gate.weights"},
    {"{\"r\":{\"dtype\":\"I64\",\"shape\":[1,2],\"data_offsets\":[0,16]}}", true, "p: r: type I64, expected F64, F32, BF16 or F16"},
    {"{\"r\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[0,16]}}", true, "p: r: shape [2], expected [T,N]"},
    {"{\"r\":{\"dtype\":\"F64\",\"shape\":[1,2,1],\"data_offsets\":[0,16]}}", true, "p: r: shape [1,2,1], expected [T,N]"},
    {"{\"s\":{\"dtype\":\"F64\",\"shape\":[0],\"data_offsets\":[16,16]}," R("}"), true, "p: s: unknown tensor, expected r d_weight"},
    {"{\"d_index\":{\"dtype\":\"F64\",\"shape\":[0],\"data_offsets\":[16,16]}," R("}"), true,
     "p: d_index: output index is not differentiable, expected no cotangent"},
    {"{\"d_weight\":{\"dtype\":\"F64\",\"shape\":[0],\"data_offsets\":[16,16]}," R("}"), true, "p: d_weight: shape [0], expected [T,K]"},
    {"{\"d_weight\":{\"dtype\":\"I64\",\"shape\":[0],\"data_offsets\":[16,16]}," R("}"), true, "p: d_weight: type I64, expected F64"},
};

START_TEST(wrong_prompts)
{
    const double r[2] = {0.5, 0.25};
    char *name = (char *)"";
    size_t cotangents = 7;
    put_safetensors("p", wrong_prompt[_i].header, r, strcmp(wrong_prompt[_i].header, "{}") == 0 ? 0 : sizeof r);
    const op_record *op = wrong_prompt[_i].asked ? op_find("gate.weights") : NULL;
    ck_assert_ptr_null(op_case_from_prompt(in_folder("p"), op, NULL, &name, &cotangents, err, sizeof err));
    ck_assert(says(wrong_prompt[_i].error));
    ck_assert(name == NULL && cotangents == 0);
    ck_assert_ptr_null(op_case_from_prompt(in_folder("p"), op, NULL, NULL, NULL, err, sizeof err));
}
END_TEST

/* Values that are not finite are named by element; parameters asked for replace those of the file and leave the rest. */
START_TEST(prompt_values)
{
    const double r[3][2] = {{0.5, NAN}, {-INFINITY, 0}, {0.5, 0.25}};
    const char *const header = META("\"op\":\"gate.weights\",\"case\":\"c\","
                                    "\"parameters\":\"{\\\"k\\\": 1, \\\"order\\\": \\\"softmax-topk\\\"}\"") R("}");
    char *name = NULL;
    put_safetensors("p", header, r[0], sizeof r[0]);
    ck_assert_ptr_null(op_case_from_prompt(in_folder("p"), NULL, NULL, NULL, NULL, err, sizeof err));
    ck_assert(says("p: r: element 1 is NaN, expected finite numbers"));
    put_safetensors("p", header, r[1], sizeof r[1]);
    ck_assert_ptr_null(op_case_from_prompt(in_folder("p"), NULL, NULL, NULL, NULL, err, sizeof err));
    ck_assert(says("p: r: element 0 is infinite, expected finite numbers"));
    put_safetensors("p", header, r[2], sizeof r[2]);
    op_case *c = op_case_from_prompt(in_folder("p"), NULL, "k=2", &name, NULL, err, sizeof err);
    ck_assert_msg(c != NULL, "%s", err);
    ck_assert(op_int(c, "k") == 2 && op_is(c, "order", "softmax-topk") && strcmp(name, "c") == 0);
    ck_assert(c->in[0].f64[0] == 0.5 && c->in[0].f64[1] == 0.25);
    free(name);
    op_case_free(c);
    c = op_case_from_prompt(in_folder("p"), NULL, "order=topk-softmax", NULL, NULL, err, sizeof err);
    ck_assert(c != NULL && op_int(c, "k") == 1 && op_is(c, "order", "topk-softmax"));
    op_case_free(c);
}
END_TEST

/* What gate.weights has not: integers, two inputs that share a letter. */
static const struct {
    const char *op, *header;
    size_t n;
    const char *error;
} wrong_other[] = {
    {"layer.change", "{\"a\":{\"dtype\":\"I64\",\"shape\":[1,2],\"data_offsets\":[0,16]},"
                     "\"b\":{\"dtype\":\"I64\",\"shape\":[2,2],\"data_offsets\":[16,48]}}", 48,
     "p: b: shape [2,2], expected [T,K] with T = 1 as in a"},
    {"layer.change", "{\"a\":{\"dtype\":\"I64\",\"shape\":[2,1],\"data_offsets\":[0,16]},"
                     "\"b\":{\"dtype\":\"I64\",\"shape\":[2,2],\"data_offsets\":[16,48]}}", 48,
     "p: b: shape [2,2], expected [T,K] with K = 1 as in a"},
    {"layer.change", "{\"a\":{\"dtype\":\"F64\",\"shape\":[1,2],\"data_offsets\":[0,16]}}", 16, "p: a: type F64, expected I64"},
    {"balance.switch", "{" R(",") "\"mask\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[16,24]}}", 24,
     "p: mask: type I64, expected F64, F32, BF16 or F16"},
    {"balance.switch", "{" R(",") "\"mask\":{\"dtype\":\"F64\",\"shape\":[0],\"data_offsets\":[16,16]}}", 16,
     "p: mask: shape [0], expected [T] with T = 1 as in r"},
};

START_TEST(wrong_other_prompts)
{
    static const double zeros[8];
    put_safetensors("p", wrong_other[_i].header, zeros, wrong_other[_i].n);
    const op_record *op = op_find(wrong_other[_i].op);
    ck_assert_ptr_null(op_case_from_prompt(in_folder("p"), op, NULL, NULL, NULL, err, sizeof err));
    ck_assert(says(wrong_other[_i].error));
}
END_TEST

/* An input that may be missing is ones; of a tensor without elements nothing is copied. */
START_TEST(prompt_without_mask)
{
    const double r[4] = {0.5, 0.25, 0, 1};
    put_safetensors("p", "{\"r\":{\"dtype\":\"F64\",\"shape\":[2,2],\"data_offsets\":[0,32]}}", r, 32);
    op_case *c = op_case_from_prompt(in_folder("p"), op_find("balance.switch"), NULL, NULL, NULL, err, sizeof err);
    ck_assert_msg(c != NULL, "%s", err);
    ck_assert(strcmp(c->op->in[1].name, "mask") == 0 && c->in[1].count == 2);
    ck_assert(c->in[1].f64[0] == 1 && c->in[1].f64[1] == 1 && c->in[0].f64[3] == 1);
    op_case_free(c);
    put_safetensors("p", "{\"step\":{\"dtype\":\"I64\",\"shape\":[0],\"data_offsets\":[0,0]}}", r, 0);
    c = op_case_from_prompt(in_folder("p"), op_find("gate.dropout.schedule"), NULL, NULL, NULL, err, sizeof err);
    ck_assert_msg(c != NULL && c->in[0].i64 != NULL && c->in[0].count == 0, "%s", err);
    op_case_free(c);
}
END_TEST

/* An operation of which one size is a number. */
START_TEST(prompt_of_pairs)
{
    static const op_tensor in[] = {{"x", "T,2", OP_INPUT, OP_DIFF, "pairs"}, {NULL, NULL, OP_INPUT, 0, NULL}};
    static const op_tensor out[] = {{"y", "T", OP_BOUNDED, OP_DIFF, "sums"}, {NULL, NULL, OP_INPUT, 0, NULL}};
    static const op_record pairs = {.id = "toy.pairs", .in = in, .out = out};
    const double x[6] = {1, 2, 3, 4, 5, 6};
    put_safetensors("p", "{\"x\":{\"dtype\":\"F64\",\"shape\":[3,2],\"data_offsets\":[0,48]}}", x, 48);
    op_case *c = op_case_from_prompt(in_folder("p"), &pairs, NULL, NULL, NULL, err, sizeof err);
    ck_assert_msg(c != NULL, "%s", err);
    ck_assert(op_dim(c, 'T') == 3 && c->in[0].f64[5] == 6);
    op_case_free(c);
    put_safetensors("p", "{\"x\":{\"dtype\":\"F64\",\"shape\":[2,3],\"data_offsets\":[0,48]}}", x, 48);
    ck_assert_ptr_null(op_case_from_prompt(in_folder("p"), &pairs, NULL, NULL, NULL, err, sizeof err));
    ck_assert(says("p: x: shape [2,3], expected [T,2]"));
}
END_TEST

/* "detach_x" in place of the file's leaves the file's "detach" as it is. */
START_TEST(prompt_prefixes)
{
    tensor_file f = {0};
    op_case *c = op_case_new(op_find("simsmoe.loss"), "T=2,d=1,N=2,K=1,h=1,g=1,p=1", "detach=no,sigma=0.30000000000000004", err,
                             sizeof err);
    ck_assert_msg(c != NULL, "%s", err);
    ck_assert_int_eq(op_add_prompt(&f, c, NULL), 0);
    ck_assert_int_eq(tensor_file_write(in_folder("p"), &f, err, sizeof err), 0);
    tensor_file_clear(&f);
    op_case_free(c);
    c = op_case_from_prompt(in_folder("p"), NULL, "detach_x=no", NULL, NULL, err, sizeof err);
    ck_assert_msg(c != NULL, "%s", err);
    ck_assert(op_is(c, "detach_x", "no") && op_is(c, "detach", "no") && op_real(c, "sigma") == 0.30000000000000004);
    op_case_free(c);
}
END_TEST

/* Of names, types and shapes alone: no value is looked at, and none is there. */
START_TEST(prompt_shapes)
{
    tensor t[] = {
        {.name = (char[]){"r"}, .rank = 2, .dim = {3, 2}, .count = 6},
        {.name = (char[]){"d_loss"}, .rank = 0, .count = 1},
        {.name = (char[]){"mask"}, .rank = 1, .dim = {3}, .count = 3},
    };
    const op_record *op = op_find("balance.switch");
    for (size_t n = 1; n <= 3; n++) {
        const tensor_file head = {.tensors = n, .t = t};
        op_case *c = op_case_shapes_from_prompt("p", op, &head, err, sizeof err);
        ck_assert_msg(c != NULL, "%s", err);
        ck_assert(c->in[0].count == 6 && c->in[0].dim[0] == 3 && c->in[1].count == 3);
        ck_assert(c->in[0].f64 == NULL && c->in[1].f64 == NULL);
        op_case_free(c);
    }
    t[1].rank = 1;
    t[1].dim[0] = 1;
    const tensor_file head = {.tensors = 2, .t = t};
    ck_assert_ptr_null(op_case_shapes_from_prompt("p", op, &head, err, sizeof err));
    ck_assert(says("p: d_loss: shape [1], expected []"));
}
END_TEST

/* --- shards ------------------------------------------------------------------------------------------------------- */

#define ONE "{\"v\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]}}"
#define TWO "{\"w\":{\"dtype\":\"F64\",\"shape\":[1,1],\"data_offsets\":[0,8]},\"u\":{\"dtype\":\"F64\",\"shape\":[1,1],\"data_offsets\":[8,16]}}"
#define MAP(fields) "{\"weight_map\":{" fields "}}"

static const struct {
    const char *index, *error;
} wrong_index[] = {
    {"{", "m.safetensors.index.json: is not valid JSON: line 1, column 1"},
    {"{}", "m.safetensors.index.json: expected \"weight_map\", an object of tensors and their files"},
    {"{\"weight_map\":{}}", "m.safetensors.index.json: expected \"weight_map\", an object of tensors and their files"},
    {MAP("\"v\":1"), "m.safetensors.index.json: weight_map: expected names of files only"},
    {MAP("\"v\":\"one.npy\""), "m.safetensors.index.json: shard \"one.npy\": expected the name of a .safetensors file"},
    {MAP("\"v\":\"../one.safetensors\""), "m.safetensors.index.json: shard \"../one.safetensors\": expected the name of"},
    {MAP("\"v\":\"\\u007f.safetensors\""), "m.safetensors.index.json: shard \"\\x7f.safetensors\": expected the name of"},
    {MAP("\"v\":\"\\u001f.safetensors\""), "m.safetensors.index.json: shard \"\\x1f.safetensors\": expected the name of"},
    {MAP("\"u\":\"two.safetensors\",\"x\":\"two.safetensors\""), "two.safetensors: tensor \"w\" is not where"},
    {MAP("\"v\":\".safetensors\""), "m.safetensors.index.json: shard \".safetensors\": expected the name of"},
    {MAP("\"v\":\"none.safetensors\""), "none.safetensors: cannot be opened: No such file or directory"},
    {MAP("\"x\":\"one.safetensors\""), "one.safetensors: tensor \"v\" is not where"},
    {MAP("\"v\":\"two.safetensors\",\"w\":\"two.safetensors\",\"u\":\"one.safetensors\""), "one.safetensors: tensor \"v\" is not where"},
    {MAP("\"v\":\"one.safetensors\",\"x\":\"one.safetensors\""), "one.safetensors: 1 tensors, expected 2 by"},
};

START_TEST(wrong_indices)
{
    const double x[2] = {1, 2};
    const char *index = in_folder("m.safetensors.index.json");
    const dump_choice all = {.patterns = 0};
    tensor_file f;
    dump d;
    put_safetensors("one.safetensors", ONE, x, 8);
    put_safetensors("two.safetensors", TWO, x, 16);
    put_file("m.safetensors.index.json", wrong_index[_i].index, strlen(wrong_index[_i].index));
    ck_assert_int_eq(tensor_file_read(index, &f, err, sizeof err), -1);
    ck_assert(says(wrong_index[_i].error));
    ck_assert(f.tensors == 0 && f.t == NULL);
    ck_assert_int_eq(dump_open(&d, 1, &index, &all, err, sizeof err), -1);
    ck_assert(says(wrong_index[_i].error));
    ck_assert(d.matrix == NULL && d.source == NULL);
}
END_TEST

START_TEST(right_index)
{
    static const char text[] = MAP("\"w\":\"two.safetensors\",\"v\":\"one.safetensors\",\"u\":\"two.safetensors\"");
    const double x[2] = {1, 2};
    double y;
    const char *index = in_folder("m.safetensors.index.json");
    const dump_choice all = {.patterns = 0};
    tensor_file f;
    dump d;
    ck_assert(shards_named("a.safetensors.index.json") && !shards_named(".safetensors.index.json") && !shards_named("a.json"));
    put_safetensors("one.safetensors", ONE, x, 8);
    put_safetensors("two.safetensors", TWO, x, 16);
    put_file("m.safetensors.index.json", text, sizeof text - 1);
    ck_assert_msg(tensor_file_read(index, &f, err, sizeof err) == 0, "%s", err);
    ck_assert_uint_eq(f.tensors, 3);
    ck_assert(tensor_get(tensor_file_find(&f, "u"), 0) == 2);
    tensor_file_clear(&f);
    ck_assert_msg(dump_open(&d, 1, &index, &all, err, sizeof err) == 0, "%s", err);
    ck_assert(d.matrices == 2 && d.left_out == 1 && d.sources == 2);
    ck_assert_str_eq(d.matrix[0].label, "u");
    ck_assert_str_eq(d.left[0], "\"v\" (F64 [1])");
    ck_assert(dump_read(&d, 0, 0, 1, &y, err, sizeof err) == 0 && y == 2);
    dump_close(&d);
    char here[512]; /* the shards of an index without a folder are in this one */
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    ck_assert_int_eq(chdir(folder), 0);
    const int result = tensor_file_read("m.safetensors.index.json", &f, err, sizeof err);
    ck_assert_int_eq(chdir(here), 0);
    ck_assert_msg(result == 0 && f.tensors == 3, "%s", err);
    tensor_file_clear(&f);
    char *many = malloc(60000);
    size_t at = (size_t)sprintf(many, "{\"weight_map\":{");
    for (int i = 0; i <= SHARDS; i++) at += (size_t)sprintf(many + at, "%s\"t%d\":\"s%d.safetensors\"", i ? "," : "", i, i);
    at += (size_t)sprintf(many + at, "}}");
    put_file("m.safetensors.index.json", many, at);
    free(many);
    ck_assert_int_eq(tensor_file_read(index, &f, err, sizeof err), -1);
    ck_assert(says("m.safetensors.index.json: more than 1024 shards"));
}
END_TEST

/* --- dumps -------------------------------------------------------------------------------------------------------- */

/* The same name in two files is told apart; no rows are no reading; a value that is not finite has a place. */
START_TEST(dump_names_and_values)
{
    const double x[4] = {1, INFINITY, -INFINITY, NAN};
    double y[4];
    const dump_choice all = {.patterns = 0};
    dump d;
    put_safetensors("a", "{\"o\":{\"dtype\":\"F64\",\"shape\":[2,2,1],\"data_offsets\":[0,32]}}", x, 32);
    put_safetensors("b", "{\"o\":{\"dtype\":\"F64\",\"shape\":[1,4],\"data_offsets\":[0,32]}}", x, 32);
    const char *const path[] = {in_folder("a"), in_folder("b")};
    ck_assert_msg(dump_open(&d, 2, path, &all, err, sizeof err) == 0, "%s", err);
    ck_assert_uint_eq(d.matrices, 3);
    ck_assert_ptr_nonnull(strstr(d.matrix[0].label, "/a:o[0]"));
    ck_assert_ptr_nonnull(strstr(d.matrix[2].label, "/b:o"));
    ck_assert_int_eq(dump_read(&d, 0, 0, 0, y, err, sizeof err), 0);
    ck_assert(dump_read(&d, 0, 0, 1, y, err, sizeof err) == 0 && y[0] == 1);
    ck_assert_int_eq(dump_read(&d, 0, 0, 2, y, err, sizeof err), -1);
    ck_assert(says("a: tensor \"o\" [0]: row 1, column 0 is +inf, expected a finite number"));
    ck_assert_int_eq(dump_read(&d, 1, 0, 2, y, err, sizeof err), -1);
    ck_assert(says("a: tensor \"o\" [1]: row 0, column 0 is -inf, expected a finite number"));
    ck_assert_int_eq(dump_read(&d, 1, 1, 1, y, err, sizeof err), -1);
    ck_assert(says("a: tensor \"o\" [1]: row 1, column 0 is NaN, expected a finite number"));
    ck_assert_int_eq(dump_read(&d, 2, 0, 1, y, err, sizeof err), -1);
    ck_assert(says("b: tensor \"o\": row 0, column 1 is +inf, expected a finite number"));
    dump_close(&d);
}
END_TEST

/* Patterns in their order, whatever the order of the names; one that nothing has is refused, and says how many files were looked at. */
START_TEST(dump_patterns)
{
    const double x[2] = {1, 2};
    static const char *const patterns[] = {"v*", "u"};
    dump_choice c = {.patterns = 2, .pattern = patterns};
    dump d;
    put_safetensors("a", "{\"u\":{\"dtype\":\"F64\",\"shape\":[1,1],\"data_offsets\":[0,8]},"
                         "\"v\":{\"dtype\":\"F64\",\"shape\":[1,1],\"data_offsets\":[8,16]}}", x, 16);
    const char *const path[] = {in_folder("a"), in_folder("a")};
    ck_assert_int_eq(dump_open(&d, 1, path, &c, err, sizeof err), 0);
    ck_assert_str_eq(d.matrix[0].label, "v");
    ck_assert_str_eq(d.matrix[1].label, "u");
    dump_close(&d);
    static const char *const absent[] = {"v*", "x"};
    c.pattern = absent;
    ck_assert_int_eq(dump_open(&d, 1, path, &c, err, sizeof err), -1);
    ck_assert(says("a: no tensor \"x\""));
    ck_assert_int_eq(dump_open(&d, 2, path, &c, err, sizeof err), -1);
    ck_assert(says("a and the files after it: no tensor \"x\""));
}
END_TEST

START_TEST(dump_limits)
{
    const double x = 0;
    static float big[DUMP_MATRICES + 1];
    char header[200];
    const dump_choice all = {.patterns = 0};
    dump d;
    for (size_t n = DUMP_MATRICES; n <= DUMP_MATRICES + 1; n++) {
        unsigned char bytes[8 + 200 + sizeof big] = {0};
        snprintf(header, sizeof header, "{\"o\":{\"dtype\":\"F32\",\"shape\":[%zu,1,1],\"data_offsets\":[0,%zu]}}", n, 4 * n);
        bytes[0] = (unsigned char)strlen(header);
        memcpy(bytes + 8, header, strlen(header));
        put_file("a", bytes, 8 + strlen(header) + 4 * n);
        const char *path = in_folder("a");
        ck_assert_int_eq(dump_open(&d, 1, &path, &all, err, sizeof err), n == DUMP_MATRICES ? 0 : -1);
        if (n == DUMP_MATRICES) dump_close(&d);
    }
    ck_assert(says("a: more than 1024 representations, expected fewer: choose with --tensor"));
    put_file("a", "", 0);
    const char *path = in_folder("a");
    ck_assert_int_eq(dump_open(&d, 1, &path, &all, err, sizeof err), -1);
    ck_assert(says("a: is empty, expected a safetensors, .npy or .npz file"));
    path = in_folder("none");
    ck_assert_int_eq(dump_open(&d, 1, &path, &all, err, sizeof err), -1);
    ck_assert(says("none: cannot be opened: No such file or directory"));
    put_safetensors("a", "{\"o\":{\"dtype\":\"F64\",\"shape\":[0,1],\"data_offsets\":[0,0]}}", &x, 0);
    path = in_folder("a");
    ck_assert_int_eq(dump_open(&d, 1, &path, &all, err, sizeof err), -1);
    ck_assert(says("a: tensor \"o\": dtype F64, shape [0,1], expected at least one sample and one feature"));
}
END_TEST

/* --- archives ----------------------------------------------------------------------------------------------------- */

/* An archive of one entry of 240,000 zero bytes behind a header, deflated; or of one that is called something else. */
START_TEST(archives)
{
    static unsigned char b[240200];
    static const char text[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (60000,), }\n";
    const char *const name[] = {"x.npy", "npy", "x.txt"};
    const char *const error[] = {NULL, "z: entry \"npy\": expected names that end in .npy", "z: entry \"x.txt\": expected names"};
    memcpy(b, "\x93NUMPY\1\0", 8);
    b[8] = sizeof text - 1;
    memcpy(b + 10, text, sizeof text - 1);
    for (int i = 0; i < 3; i++) {
        tensor_file f;
        zip_t *z = zip_open(in_folder("z"), ZIP_CREATE | ZIP_TRUNCATE, NULL);
        ck_assert_int_eq((int)zip_file_add(z, name[i], zip_source_buffer(z, b, 10 + sizeof text - 1 + 240000, 0), 0), 0);
        ck_assert_int_eq(zip_close(z), 0);
        ck_assert_int_eq(tensor_file_read(in_folder("z"), &f, err, sizeof err), error[i] ? -1 : 0);
        if (error[i]) ck_assert(says(error[i]));
        else ck_assert(f.tensors == 1 && f.t[0].count == 60000 && tensor_get(f.t, 59999) == 0);
        tensor_file_clear(&f);
    }
}
END_TEST

/* A file of so many entries, all of which are one byte. */
static zip_t *open_entries(int entries)
{
    char name[20];
    zip_error_t problem;
    zip_t *z = zip_open(in_folder("z"), ZIP_CREATE | ZIP_TRUNCATE, NULL);
    for (int i = 0; i < entries; i++) {
        snprintf(name, sizeof name, "%d.npy", i);
        ck_assert_int_eq((int)zip_file_add(z, name, zip_source_buffer(z, "x", 1, 0), 0), i);
        ck_assert_int_eq(zip_set_file_compression(z, (zip_uint64_t)i, ZIP_CM_STORE, 0), 0);
    }
    ck_assert_int_eq(zip_close(z), 0);
    zip_error_init(&problem);
    z = npz_open("z", zip_source_file_create(in_folder("z"), 0, -1, &problem), &problem, err, sizeof err);
    zip_error_fini(&problem);
    return z;
}

START_TEST(archive_of_many)
{
    zip_t *z = open_entries(10000);
    ck_assert_msg(z != NULL, "%s", err);
    zip_discard(z);
    ck_assert_ptr_null(open_entries(10001));
    ck_assert(says("z: 10001 entries, expected at most 10000"));
}
END_TEST

/* An entry may be as large as its compressed size allows, but not larger than the limit. */
START_TEST(archive_limit)
{
    static unsigned char b[100000];
    for (size_t i = 0; i < 1000; i++) b[i] = (unsigned char)(i * i * i >> 5); /* more than 1000 / 1032 bytes, deflated */
    zip_t *z = zip_open(in_folder("z"), ZIP_CREATE | ZIP_TRUNCATE, NULL);
    ck_assert_int_eq((int)zip_file_add(z, "x.npy", zip_source_buffer(z, b, sizeof b, 0), 0), 0);
    ck_assert_int_eq(zip_close(z), 0);
    z = zip_open(in_folder("z"), ZIP_RDONLY, NULL);
    ck_assert_ptr_nonnull(z);
    for (uint64_t limit = sizeof b - 1; limit <= sizeof b; limit++) {
        zip_stat_t st;
        uint64_t compressed = 0;
        const int result = npz_entry("z", z, 0, &compressed, 100000, limit, &st, err, sizeof err);
        ck_assert(st.comp_size > limit / 1032 && compressed == st.comp_size);
        ck_assert_int_eq(result, limit < sizeof b ? -1 : 0);
    }
    char line[100];
    zip_stat_t st;
    zip_stat_index(z, 0, 0, &st);
    snprintf(line, sizeof line, "z: entry \"x.npy\": says 100000 bytes in %d, expected at most 99999", (int)st.comp_size);
    ck_assert(says(line));
    zip_discard(z);
}
END_TEST

static void put_number(unsigned char *to, size_t bytes, size_t x)
{
    for (size_t i = 0; i < bytes; i++) to[i] = (unsigned char)(x >> (8 * i));
}

/* What the local header of a stored entry and its place in the directory have in common, from the version on. */
static void put_entry(unsigned char to[26], uint32_t crc, size_t n)
{
    put_number(to, 2, 20);
    put_number(to + 8, 2, 33); /* 1 January 1980 */
    put_number(to + 10, 4, crc);
    put_number(to + 14, 4, n);
    put_number(to + 18, 4, n);
    put_number(to + 22, 2, 5);
}

/* An entry whose data are a second entry, whole and correct each: together they have more bytes than the file. */
START_TEST(archive_of_nested)
{
    enum { PAYLOAD = 400 };
    static const char text[] = "{'descr': '<i8', 'fortran_order': False, 'shape': (50,), }\n";
    const size_t header = 10 + sizeof text - 1, outer = header + PAYLOAD, inner = PAYLOAD - 35, directory = 35 + outer;
    unsigned char b[1000] = "PK\3\4";
    memcpy(b + 30, "a.npy\x93NUMPY\1\0", 13);
    b[43] = sizeof text - 1;
    memcpy(b + 45, text, sizeof text - 1);
    memcpy(b + 35 + header, "PK\3\4", 4);
    put_entry(b + 35 + header + 4, 0, inner);
    memcpy(b + 35 + header + 30, "b.npy", 5);
    uint32_t crc = 0xffffffff;
    for (size_t i = 35; i < directory; i++) {
        crc ^= b[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    put_entry(b + 4, ~crc, outer);
    for (size_t i = 0; i < 2; i++) {
        unsigned char *at = b + directory + i * 51;
        memcpy(at, "PK\1\2", 4);
        put_number(at + 4, 2, 20);
        put_entry(at + 6, i ? 0 : ~crc, i ? inner : outer);
        put_number(at + 42, 4, i ? 35 + header : 0);
        memcpy(at + 46, i ? "b.npy" : "a.npy", 5);
    }
    for (size_t entries = 2; entries > 0; entries--) { /* the outer one alone is fine */
        const size_t end = directory + entries * 51;
        tensor_file f;
        dump d;
        const dump_choice all = {.patterns = 0};
        memset(b + end, 0, 22);
        memcpy(b + end, "PK\5\6", 4);
        put_number(b + end + 8, 2, entries);
        put_number(b + end + 10, 2, entries);
        put_number(b + end + 12, 4, entries * 51);
        put_number(b + end + 16, 4, directory);
        put_file("z", b, end + 22);
        const char *path = in_folder("z");
        ck_assert_msg(tensor_file_read(path, &f, err, sizeof err) == (entries == 1 ? 0 : -1), "%s", err);
        ck_assert_uint_eq(f.tensors, entries == 1);
        tensor_file_clear(&f);
        if (entries == 1) continue;
        ck_assert(says("z: entry \"b.npy\": its 365 bytes and those before it exceed the file's 628"));
        ck_assert_int_eq(dump_open(&d, 1, &path, &all, err, sizeof err), -1);
        ck_assert(says("z: entry \"b.npy\": its 365 bytes and those before it exceed the file's 628"));
    }
}
END_TEST

/* --- verdicts ----------------------------------------------------------------------------------------------------- */

#define DIGITS "0123456789abcdef"
#define DIGEST DIGITS DIGITS DIGITS DIGITS
#define NUMBERS "'vacuous':0,'ratio':3.0,'at':0,'got':'nan','golden':'inf','bound':'-inf'"
#define BINS "'factors':1,'factor':0.5,'zeros':false,'bin':[0,0,0,0,0,0,0,0,1]"

/* One case of two, that failed: an output with a picture, a gradient that is right and a tensor that nobody knows.  With " for '. */
static const char verdicts_text[] =
    "{'smoeref':'v','verdicts':1,'shard':1,'shards':2,'manifest':'" DIGEST "','asked':'" DIGEST "','suite':'core','seed':1,"
    "'precision':'f64','forward':false,'power':true,'total':2,'exposed':[['gate.weights','NormTopK/softmax-topk']],'cases':[{"
    "'name':'c','op':'gate.weights','sizes':'T=1','parameters':'k=2','pass':false,'fault':null,'output':'said','large':false,"
    "'ranked':false,'replayed':true,'narrow':true,'tokens':1,'ambiguous':0,'differ':0,'inadmissible':0,'ties':0,'vacuous':0,"
    "'worst':0,'tensors':["
    "{'name':'weight','kind':1,'slot':1,'gradient':false,'present':true,'owed':true,'judged':true,'pass':false,'shape':[1,2],"
    "'outside':1," NUMBERS ",'fault':null," BINS ",'heat':'50'},"
    "{'name':'d_r','kind':1,'slot':0,'gradient':true,'present':true,'owed':true,'judged':true,'pass':true,'shape':[1,2],"
    "'outside':0," NUMBERS ",'fault':null," BINS ",'heat':null},"
    "{'name':'z','kind':0,'slot':32,'gradient':false,'present':true,'owed':false,'judged':false,'pass':false,'shape':[3],"
    "'outside':0," NUMBERS ",'fault':'unknown'," BINS ",'heat':null}],"
    "'details':['a sentence'],'matches':[{'op':'gate.weights','class':'NormTopK/softmax-topk','ratio':0.5,'tells':true}]}]}";

static json_t *quoted(const char *text)
{
    char *copy = strdup(text);
    for (char *c = copy; *c; c++)
        if (*c == '\'') *c = '"';
    json_t *j = json_loads(copy, JSON_DECODE_ANY, NULL);
    free(copy);
    ck_assert_msg(j != NULL, "%s", text);
    return j;
}

/* Puts a value in the place of root's member "cases.0.tensors.1.slot"; "#N" is an array of N nulls. */
static void put_member(json_t *root, const char *path, const char *value)
{
    char name[40];
    json_t *at = root, *new = *value == '#' ? json_array() : quoted(value);
    for (int i = 0; *value == '#' && i < atoi(value + 1); i++) json_array_append_new(new, json_null());
    for (;; path++) {
        const size_t n = strcspn(path, ".");
        snprintf(name, sizeof name, "%.*s", (int)n, path);
        path += n;
        if (*path == '\0') break;
        at = json_is_array(at) ? json_array_get(at, (size_t)atoi(name)) : json_object_get(at, name);
    }
    ck_assert_int_eq(json_is_array(at) ? json_array_set_new(at, (size_t)atoi(name), new) : json_object_set_new(at, name, new), 0);
}

#define T0 "cases.0.tensors.0."
#define T1 "cases.0.tensors.1."
#define T2 "cases.0.tensors.2."
#define OUT_OF_RANGE "f: case 1: tensor 1: a number out of range"
#define NO_TENSOR(n) "f: case 1: tensor " n ": is no tensor of the operation"
#define NO_NUMBER "f: case 1: tensor 1: expected numbers, \"nan\", \"inf\" or \"-inf\""
#define NO_EXPOSED "f: exposed: expected known wrong variants, each once"
#define CONTRADICTS "\"pass\" contradicts what it is made of"

static const struct {
    const char *error; /* NULL: it is taken */
    const char *change[10]; /* member and value, several times */
} stored[] = {
    {NULL, {"seed", "1"}},
    {NULL, {"shard", "2", "total", "1", "cases", "[]"}}, /* a shard without cases */
    {NULL, {T0 "heat", "null", T0 "ratio", "3"}},
    {NULL, {T2 "heat", "'012'"}}, /* one row */
    {NULL, {"power", "false", "exposed", "[]"}},
    {NULL, {T0 "pass", "true", T0 "outside", "0", T2 "pass", "false", "cases.0.fault", "'it crashed'"}},
    {NULL, {"cases.0.tensors", "[]", "cases.0.fault", "'it crashed'"}},
    {NULL, {"cases.0.tensors", "[]", "cases.0.inadmissible", "1"}},
    {NULL, {"cases.0.tensors", "[]", "cases.0.pass", "true"}},
    {"f: Expected string, got integer", {"smoeref", "1"}},
    {"f: 1 object item(s) left unpacked: a??b", {"a\x01\x7f" "b", "1"}},
    {"f: was written by another version of smoeref", {"smoeref", "'w'"}},
    {"f: was written by another version of smoeref", {"verdicts", "2"}},
    {"f: no shard I of N", {"shards", "0"}},
    {"f: no shard I of N", {"shards", "100001"}},
    {"f: no shard I of N", {"shard", "0"}},
    {"f: no shard I of N", {"shard", "3"}},
    {"f: manifest, asked: expected SHA-256 digests", {"manifest", "'" DIGITS "'"}},
    {"f: manifest, asked: expected SHA-256 digests", {"asked", "'" DIGITS DIGITS DIGITS "0123456789ABCDEF'"}},
    {"f: a number out of range", {"seed", "-1"}},
    {"f: a number out of range", {"total", "16777217"}},
    {"f: expected a text", {"suite", "1"}},
    {"f: expected a text", {"precision", "null"}},
    {"f: a text with a character that is not printable", {"suite", "'\\u0007'"}},
    {"f: there is no such precision", {"precision", "'f8'"}},
    {"f: exposed: expected an array", {"exposed", "1"}},
    {"f: exposed: expected an array", {"power", "false"}},
    {NO_EXPOSED, {"exposed", "[['gate.weights','x']]"}},
    {NO_EXPOSED, {"exposed", "[['x','NormTopK/softmax-topk']]"}},
    {NO_EXPOSED, {"exposed", "[[1,'NormTopK/softmax-topk']]"}},
    {NO_EXPOSED, {"exposed", "[['gate.weights']]"}},
    {NO_EXPOSED, {"exposed", "[['gate.weights','NormTopK/softmax-topk',1]]"}},
    {NO_EXPOSED, {"exposed", "[['gate.weights','NormTopK/softmax-topk'],['gate.weights','NormTopK/softmax-topk']]"}},
    {"f: not as many cases as the shard has", {"cases", "1"}},
    {"f: not as many cases as the shard has", {"cases", "[]"}},
    {"f: case 1: Expected object, got integer", {"cases.0", "1"}},
    {"f: case 1: there is no such operation", {"cases.0.op", "'gate.none'"}},
    {"f: case 1: expected a text", {"cases.0.name", "1"}},
    {"f: case 1: expected a text", {"cases.0.sizes", "null"}},
    {"f: case 1: expected a text", {"cases.0.parameters", "null"}},
    {"f: case 1: expected a text", {"cases.0.fault", "1"}},
    {"f: case 1: expected a text", {"cases.0.output", "1"}},
    {"f: case 1: a number out of range", {"cases.0.worst", "-1"}},
    {"f: case 1: expected arrays of tensors, details and matches", {"cases.0.tensors", "{}"}},
    {"f: case 1: expected arrays of tensors, details and matches", {"cases.0.tensors", "#4097"}},
    {"f: case 1: expected arrays of tensors, details and matches", {"cases.0.details", "{}"}},
    {"f: case 1: expected arrays of tensors, details and matches", {"cases.0.details", "#100001"}},
    {"f: case 1: expected arrays of tensors, details and matches", {"cases.0.matches", "{}"}},
    {"f: case 1: expected arrays of tensors, details and matches", {"cases.0.matches", "#1025"}},
    {"f: case 1: expected a text", {"cases.0.details.0", "null"}},
    {"f: case 1: a text with a character that is not printable", {"cases.0.details.0", "'\\u007f'"}},
    {"f: case 1: Expected object, got null", {"cases.0.matches.0", "null"}},
    {"f: case 1: matches: no known wrong variant", {"cases.0.matches.0.class", "'x'"}},
    {"f: case 1: matches: a ratio up to 1", {"cases.0.matches.0.ratio", "'x'"}},
    {"f: case 1: matches: a ratio up to 1", {"cases.0.matches.0.ratio", "'nan'"}},
    {"f: case 1: matches: a ratio up to 1", {"cases.0.matches.0.ratio", "2"}},
    {"f: case 1: " CONTRADICTS, {"cases.0.pass", "true"}},
    {"f: case 1: " CONTRADICTS, {"cases.0.tensors", "[]"}},
    {"f: case 1: \"vacuous\" is not the sum of the tensors'", {"cases.0.vacuous", "1"}},
    {"f: case 1: \"worst\" is no tensor", {"cases.0.worst", "4"}},
    {"f: case 1: tensor 3: Expected object, got null", {"cases.0.tensors.2", "null"}},
    {"f: case 1: tensor 1: expected a text", {T0 "name", "1"}},
    {"f: case 1: tensor 1: expected a text", {T0 "fault", "1"}},
    {"f: case 1: tensor 1: shape: expected at most 4 sizes", {T0 "shape", "1"}},
    {"f: case 1: tensor 1: shape: expected at most 4 sizes", {T0 "shape", "[1,1,1,1,2]"}},
    {"f: case 1: tensor 1: shape: expected sizes", {T0 "shape", "['2']"}},
    {"f: case 1: tensor 1: shape: expected sizes", {T0 "shape", "[-2]"}},
    {"f: case 1: tensor 1: shape: too many elements", {T0 "shape", "[4294967296,4294967296]"}},
    {OUT_OF_RANGE, {T0 "kind", "-1"}},
    {OUT_OF_RANGE, {T0 "kind", "5"}},
    {OUT_OF_RANGE, {T0 "slot", "33"}},
    {OUT_OF_RANGE, {T0 "outside", "3"}},
    {OUT_OF_RANGE, {T0 "vacuous", "3"}},
    {OUT_OF_RANGE, {T0 "at", "3"}},
    {OUT_OF_RANGE, {T0 "factors", "4294967296"}},
    {NO_NUMBER, {T0 "ratio", "'x'"}},
    {NO_NUMBER, {T0 "ratio", "-1"}},
    {NO_NUMBER, {T0 "got", "null"}},
    {NO_NUMBER, {T0 "golden", "[]"}},
    {NO_NUMBER, {T0 "bound", "true"}},
    {NO_NUMBER, {T0 "factor", "'+inf'"}},
    {NO_TENSOR("1"), {T0 "name", "'weights'"}},
    {NO_TENSOR("1"), {T0 "kind", "2"}},
    {NO_TENSOR("1"), {T0 "slot", "31"}},
    {NO_TENSOR("2"), {T1 "kind", "2"}},
    {NO_TENSOR("2"), {T1 "name", "'e_r'"}},
    {NO_TENSOR("2"), {T1 "name", "'d_x'"}},
    {NO_TENSOR("1"), {"cases.0.op", "'balance.switch'", T0 "slot", "1", T0 "gradient", "true", T0 "name", "'d_mask'"}},
    {NO_TENSOR("3"), {T2 "gradient", "true"}},
    {NO_TENSOR("3"), {T2 "judged", "true"}},
    {NO_TENSOR("3"), {T2 "fault", "null"}},
    {NO_TENSOR("3"), {T2 "kind", "1"}},
    {"f: case 1: tensor 1: judged, but missing or at fault", {T0 "fault", "'of another shape'"}},
    {"f: case 1: tensor 1: judged, but missing or at fault", {T0 "present", "false"}},
    {"f: case 1: tensor 1: " CONTRADICTS, {T0 "outside", "0"}},
    {"f: case 1: tensor 3: " CONTRADICTS, {T2 "pass", "true"}},
    {"f: case 1: tensor 1: bin: expected 9 numbers", {T0 "bin", "9"}},
    {"f: case 1: tensor 1: bin: expected 9 numbers", {T0 "bin", "[0,0,0,0,0,0,0,0]"}},
    {"f: case 1: tensor 1: bin: expected 9 numbers", {T0 "bin", "[0,0,0,0,0,0,0,0,0.5]"}},
    {"f: case 1: tensor 1: bin: expected 9 numbers", {T0 "bin", "[0,0,0,0,0,0,0,0,3]"}},
    {"f: case 1: tensor 1: heat: expected a level from 0 to 5 for each cell", {T0 "heat", "50"}},
    {"f: case 1: tensor 1: heat: expected a level from 0 to 5 for each cell", {T0 "heat", "'5'"}},
    {"f: case 1: tensor 1: heat: expected a level from 0 to 5 for each cell", {T0 "heat", "'56'"}},
    {"f: case 1: tensor 3: heat: expected a level from 0 to 5 for each cell", /* without elements there is no picture */
     {T2 "shape", "[0,2]", T2 "heat", "''", T2 "at", "0", T2 "bin", "[0,0,0,0,0,0,0,0,0]"}},
};

START_TEST(stored_verdicts)
{
    json_t *root = quoted(verdicts_text);
    verdict_store s;
    for (int i = 0; stored[_i].change[i]; i += 2) put_member(root, stored[_i].change[i], stored[_i].change[i + 1]);
    char *text = json_dumps(root, JSON_COMPACT), *again, *bytes;
    size_t n;
    const int result = verdict_store_parse("f", text, strlen(text), "v", &s, err, sizeof err);
    json_decref(root);
    free(text);
    ck_assert_msg(result == (stored[_i].error ? -1 : 0), "%s: %s", stored[_i].change[0], err);
    if (stored[_i].error) {
        ck_assert(says(stored[_i].error));
        ck_assert(s.c == NULL && s.suite == NULL && s.precision == NULL && s.cases == 0);
        return;
    }
    ck_assert_int_eq(verdict_store_write(in_folder("v"), &s, "v", err, sizeof err), 0);
    verdict_store_clear(&s); /* it is the same when it is written, read and written again */
    ck_assert_int_eq(whole_file_read(in_folder("v"), (unsigned char **)&bytes, &n, err, sizeof err), 0);
    ck_assert_msg(verdict_store_read(in_folder("v"), &s, "v", err, sizeof err) == 0, "%s", err);
    ck_assert_int_eq(verdict_store_write(in_folder("v"), &s, "v", err, sizeof err), 0);
    ck_assert_int_eq(whole_file_read(in_folder("v"), (unsigned char **)&again, &n, err, sizeof err), 0);
    ck_assert_str_eq(bytes, again);
    verdict_store_clear(&s);
    free(bytes);
    free(again);
}
END_TEST

static void parse_verdicts(verdict_store *s, const char *member, const char *value)
{
    json_t *root = quoted(verdicts_text);
    if (member) put_member(root, member, value);
    char *text = json_dumps(root, 0);
    ck_assert_msg(verdict_store_parse("f", text, strlen(text), "v", s, err, sizeof err) == 0, "%s", err);
    json_decref(root);
    free(text);
}

/* What the fields say, and a picture of more cells than there may be: it has 48 by 48. */
START_TEST(verdicts_fields)
{
    verdict_store s;
    parse_verdicts(&s, NULL, NULL);
    const verdict_case *v = s.c;
    ck_assert(s.shard == 1 && s.shards == 2 && s.total == 2 && s.cases == 1 && s.power && !s.forward && s.seed == 1);
    ck_assert(strcmp(s.manifest, DIGEST) == 0 && strcmp(s.suite, "core") == 0 && strcmp(s.precision, "f64") == 0);
    ck_assert(!v->pass && !v->fault && !v->large && !v->ranked && v->replayed && v->narrow && v->tokens == 1 && v->tensors == 3);
    ck_assert(strcmp(v->output, "said") == 0 && strcmp(v->detail[0], "a sentence") == 0 && v->match[0].ratio == 0.5);
    ck_assert(v->t[0].ratio == 3 && isnan(v->t[0].got) && v->t[0].golden == (double)INFINITY && v->t[0].bound == (double)-INFINITY);
    ck_assert(v->t[0].heat_rows == 1 && v->t[0].heat_cols == 2 && v->t[0].heat[0] == 5 && v->t[0].heat[1] == 0);
    ck_assert(v->t[0].bin[8] == 1 && v->t[0].factors == 1 && v->t[0].factor == 0.5 && v->t[2].slot == OP_TENSORS);
    size_t exposed = 0;
    for (size_t i = 0; i < TWIN_VARIANTS; i++) exposed += s.exposed[i];
    ck_assert_uint_eq(exposed, 1);
    verdict_store_clear(&s);

    char level[48 * 48 + 3] = "'";
    memset(level + 1, '4', 48 * 48);
    level[48 * 48 + 1] = '\'';
    json_t *root = quoted(verdicts_text);
    put_member(root, T0 "shape", "[49,50]");
    put_member(root, T0 "heat", level);
    char *text = json_dumps(root, 0);
    ck_assert_msg(verdict_store_parse("f", text, strlen(text), "v", &s, err, sizeof err) == 0, "%s", err);
    ck_assert(s.c->t[0].heat_rows == 48 && s.c->t[0].heat_cols == 48 && s.c->t[0].heat[48 * 48 - 1] == 4);
    verdict_store_clear(&s);
    json_decref(root);
    free(text);
}
END_TEST

START_TEST(joined_verdicts)
{
    static const char *const other[][2] = {
        {"total", "1"}, {"manifest", "'" DIGITS DIGITS DIGITS "0000000000000000'"}, {"asked", "'" DIGITS DIGITS DIGITS "0000000000000000'"},
        {"suite", "'other'"}, {"seed", "2"}, {"precision", "'f32'"}, {"forward", "true"}, {"power", "false"}, {"shards", "3"},
    };
    static const char *const path[] = {"f", "g", "h"};
    verdict_store s[3];
    verdict_case *c = NULL;
    parse_verdicts(&s[0], "shard", "2");
    parse_verdicts(&s[1], "cases.0.name", "'first'");
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        json_t *root = quoted(verdicts_text);
        put_member(root, other[i][0], other[i][1]);
        if (strcmp(other[i][0], "power") == 0) put_member(root, "exposed", "[]");
        char *text = json_dumps(root, 0);
        ck_assert_msg(verdict_store_parse("f", text, strlen(text), "v", &s[2], err, sizeof err) == 0, "%s", err);
        ck_assert_int_eq(verdict_store_join((verdict_store[]){s[0], s[2]}, 2, path, &c, err, sizeof err), -1);
        ck_assert(says("f and g are of different runs: other golden cases, options or number of shards"));
        verdict_store_clear(&s[2]);
        json_decref(root);
        free(text);
    }
    parse_verdicts(&s[2], NULL, NULL);
    ck_assert_int_eq(verdict_store_join(s, 3, path, &c, err, sizeof err), -1);
    ck_assert(says("g and h are both shard 1/2"));
    ck_assert_int_eq(verdict_store_join(s, 1, path, &c, err, sizeof err), -1);
    ck_assert(says("1 of 2 shards are missing, the first of them 1/2"));
    ck_assert_int_eq(verdict_store_join(s + 1, 1, path, &c, err, sizeof err), -1);
    ck_assert(says("1 of 2 shards are missing, the first of them 2/2"));
    ck_assert(c == NULL && s[0].cases == 1 && s[1].cases == 1);
    ck_assert_int_eq(verdict_store_join(s, 2, path, &c, err, sizeof err), 0);
    ck_assert(strcmp(c[0].name, "first") == 0 && strcmp(c[1].name, "c") == 0 && s[0].cases == 0 && s[1].cases == 0);
    for (int i = 0; i < 2; i++) verdict_case_clear(&c[i]);
    for (int i = 0; i < 3; i++) verdict_store_clear(&s[i]);
    free(c);
}
END_TEST

/* --- writing ------------------------------------------------------------------------------------------------------ */

/* Tensors that no reader would take are not written, and nothing is. */
START_TEST(unwritable_tensors)
{
    static double x[2] = {1, 2};
    static char empty[] = "", reserved[] = "__metadata__", bad[] = "\xff", good[] = "x";
    tensor t[] = {
        {.name = empty, .rank = 1, .dim = {2}, .count = 2, .data = x},
        {.name = reserved, .rank = 1, .dim = {2}, .count = 2, .data = x},
        {.name = bad, .rank = 1, .dim = {2}, .count = 2, .data = x},
        {.name = good, .rank = TENSOR_RANK + 1, .dim = {2}, .count = 2, .data = x},
        {.name = good, .rank = 2, .dim = {SIZE_MAX / 2, 4}, .count = 2, .data = x},
        {.name = good, .rank = 1, .dim = {3}, .count = 2, .data = x},
        {.name = good, .rank = 1, .dim = {2}, .count = 2, .data = x},
    };
    const size_t n = sizeof t / sizeof *t;
    for (size_t i = 0; i < n; i++) {
        const tensor_file f = {.tensors = 1, .t = &t[i]};
        ck_assert_int_eq(tensor_file_write(in_folder("out"), &f, err, sizeof err), i == n - 1 ? 0 : -1);
        ck_assert_int_eq(access(in_folder("out"), F_OK), i == n - 1 ? 0 : -1);
    }
    tensor twice[] = {t[n - 1], t[n - 1]};
    const tensor_file f = {.tensors = 2, .t = twice};
    ck_assert_int_eq(tensor_file_write(in_folder("out2"), &f, err, sizeof err), -1);
    ck_assert(says("out2: tensor \"x\": cannot be written: the name is empty, reserved or there twice"));
    ck_assert_int_eq(access(in_folder("out2"), F_OK), -1);
    tensor_file g = {0};
    ck_assert_int_eq(tensor_file_add(&g, "x", TENSOR_F64, TENSOR_RANK + 1, t[0].dim, x), -1);
    ck_assert_int_eq(tensor_file_add(&g, "x", TENSOR_F64, 2, (size_t[]){SIZE_MAX / 2, 4}, x), -1);
    ck_assert(g.tensors == 0 && g.t == NULL);
    ck_assert_int_eq(tensor_file_add_meta(&g, "k", "\xff"), 0);
    ck_assert_int_eq(tensor_file_write(in_folder("out3"), &g, err, sizeof err), -1);
    ck_assert(says("out3: __metadata__ \"k\": cannot be written: not UTF-8, or there twice"));
    tensor_file_clear(&g);
}
END_TEST

#define COUNT(array) ((int)(sizeof array / sizeof *array))

int main(void)
{
    Suite *s = suite_create("readers");
    TCase *t = tcase_create("readers");
    suite_add_tcase(s, t);
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, make_folder, drop_folder);
    tcase_add_loop_test(t, wrong_lines, 0, COUNT(wrong_line));
    tcase_add_test(t, line_limits);
    tcase_add_loop_test(t, right_lines, 0, COUNT(right_line));
    tcase_add_test(t, every_prompt);
    tcase_add_loop_test(t, wrong_prompts, 0, COUNT(wrong_prompt));
    tcase_add_test(t, prompt_values);
    tcase_add_loop_test(t, wrong_other_prompts, 0, COUNT(wrong_other));
    tcase_add_test(t, prompt_without_mask);
    tcase_add_test(t, prompt_of_pairs);
    tcase_add_test(t, prompt_prefixes);
    tcase_add_test(t, prompt_shapes);
    tcase_add_loop_test(t, wrong_indices, 0, COUNT(wrong_index));
    tcase_add_test(t, right_index);
    tcase_add_test(t, dump_names_and_values);
    tcase_add_test(t, dump_patterns);
    tcase_add_test(t, dump_limits);
    tcase_add_test(t, archives);
    tcase_add_test(t, archive_of_many);
    tcase_add_test(t, archive_limit);
    tcase_add_test(t, archive_of_nested);
    tcase_add_loop_test(t, stored_verdicts, 0, COUNT(stored));
    tcase_add_test(t, verdicts_fields);
    tcase_add_test(t, joined_verdicts);
    tcase_add_test(t, unwritable_tensors);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int bad = srunner_ntests_failed(r);
    srunner_free(r);
    return bad == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
