/* The lines of the pipe on arbitrary bytes: each line of the input is read as an answer, twice. */
#include "fuzz.h"
#include "stream.h"

/* What only the writing of prompts needs, which is not run here: so the target does without the operations. */
char *op_parameters_json(const op_case *c)
{
    (void)c;
    return NULL;
}

/* Here the caller puts the line's number before the message. */
static void check_line(const char *err)
{
    if (*err == '\0') FINDING("a refusal without a reason");
    for (const char *s = err; *s != '\0'; s++)
        if (*s < 0x20 || *s > 0x7e) FINDING("an error with a byte %d in it", *s);
}

static void check_same(const tensor_file *a, const tensor_file *b)
{
    if (a->tensors != b->tensors) FINDING("another number of tensors when it is read again");
    for (size_t i = 0; i < a->tensors; i++)
        if (strcmp(a->t[i].name, b->t[i].name) != 0 || a->t[i].count != b->t[i].count ||
            memcmp(a->t[i].data, b->t[i].data, a->t[i].count * tensor_dtype_size(a->t[i].dtype)) != 0)
            FINDING("another tensor when it is read again");
}

static void read_line(const char *line, size_t n)
{
    char err[TENSOR_ERROR] = "", *name, *again;
    tensor_file f, g;
    const int result = stream_read_answer(line, n, &name, &f, err, sizeof err);
    if (result < -1 || result > 1) FINDING("a result of %d", result);
    if (result >= 0 && name == NULL) FINDING("an answer to no case");
    if (result != 0) {
        check_line(err);
        if (f.t != NULL || f.tensors != 0) FINDING("a refused answer left something");
        free(name);
        return;
    }
    check_tensors(0, &f, err);
    if (stream_read_answer(line, n, &again, &g, err, sizeof err) != 0)
        FINDING("refused when it is read again: %s", err);
    check_same(&f, &g);
    tensor_file_clear(&g);
    tensor_file_clear(&f);
    free(again);
    free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        const size_t n = end ? (size_t)(end - data) - at : size - at;
        char *line = malloc(n + 1); /* of its own, so that a read past its end is seen */
        if (line == NULL) abort();
        memcpy(line, data + at, n);
        line[n] = '\0';
        read_line(line, n);
        free(line);
        at += n + 1;
    }
    return 0;
}
