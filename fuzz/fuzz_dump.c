/* Dumps on arbitrary bytes: opened as a file, read in blocks of several sizes, and compared with the whole-file readers. */
#include "dump.h"
#include "fuzz.h"

#include <fcntl.h>

static void write_scratch(const uint8_t *data, size_t size)
{
    const int fd = open(scratch_file(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || close(fd) != 0) {
        fprintf(stderr, "the scratch file cannot be written\n");
        exit(3);
    }
}

static void check_line(const char *err)
{
    const size_t n = strlen(scratch_file());
    if (strncmp(err, scratch_file(), n) != 0) FINDING("an error that does not begin with the file's name: %s", err);
    for (const char *s = err; *s != '\0'; s++)
        if (*s < 0x20 || *s > 0x7e) FINDING("an error with a byte %d in it", *s);
}

/* Element (row, k) of a matrix in the tensor that the whole-file reader has. */
static double whole_element(const tensor *t, const dump_matrix *m, bool second, size_t row, size_t k)
{
    if (t->rank < 3) return tensor_get(t, row * m->p + k);
    const size_t N = t->dim[second ? 1 : 0];
    return tensor_get(t, second ? (row * N + m->index) * m->p + k : (m->index * m->n + row) * m->p + k);
}

static void compare(const tensor_file *f, const dump_matrix *m, bool second, size_t row, size_t rows, const double *x)
{
    const tensor *t = tensor_file_find(f, m->tensor);
    if (t == NULL) FINDING("a tensor that the whole-file reader does not have");
    for (size_t i = 0; i < rows; i++)
        for (size_t k = 0; k < m->p; k++) {
            const double there = whole_element(t, m, second, row + i, k);
            if (memcmp(&there, &x[i * m->p + k], sizeof there) != 0)
                FINDING("row %zu, column %zu: %a, but %a in the whole file", row + i, k, x[i * m->p + k], there);
        }
}

static void read_matrix(dump *d, size_t i, const tensor_file *whole, bool second, size_t block)
{
    char err[2 * TENSOR_ERROR];
    const dump_matrix *m = &d->matrix[i];
    if (m->n == 0 || m->p == 0 || *m->label == '\0') FINDING("a matrix without elements or a name");
    if (block > m->n) block = m->n;
    double *x = malloc(block * m->p * sizeof *x);
    if (x == NULL) return;
    for (size_t row = 0; row < m->n; row += block) {
        const size_t rows = m->n - row < block ? m->n - row : block;
        if (dump_read(d, i, row, rows, x, err, sizeof err) != 0) {
            check_line(err);
            break;
        }
        if (whole != NULL) compare(whole, m, second, row, rows, x);
    }
    free(x);
}

static void open_as(const dump_choice *choice, const tensor_file *whole)
{
    const char *path = scratch_file();
    char err[2 * TENSOR_ERROR];
    dump d;
    if (dump_open(&d, 1, &path, choice, err, sizeof err) != 0) {
        check_line(err);
        if (d.matrix != NULL || d.source != NULL || d.left != NULL) FINDING("a refused dump left something");
        return;
    }
    if (d.matrices == 0 || d.matrices > DUMP_MATRICES) FINDING("a dump of %zu matrices", d.matrices);
    for (size_t i = 0; i < d.matrices && i < 16; i++) {
        read_matrix(&d, i, whole, choice->second, 3);
        read_matrix(&d, i, whole, choice->second, 64);
    }
    dump_close(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"x", "e*"};
    const dump_choice choices[] = {
        {0, NULL, false, false}, {0, NULL, true, false}, {0, NULL, false, true}, {2, names, false, false}};
    tensor_file whole;
    char err[2 * TENSOR_ERROR];
    write_scratch(data, size);
    const int result = tensor_file_read(scratch_file(), &whole, err, sizeof err);
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) open_as(&choices[i], result == 0 ? &whole : NULL);
    if (result == 0) tensor_file_clear(&whole);
    unlink(scratch_file());
    return 0;
}
