/* What the fuzz targets share: how a finding is reported, and what must hold of anything that a reader says. */
#ifndef SMOEREF_FUZZ_FUZZ_H
#define SMOEREF_FUZZ_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tensorfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A finding: one line, and a crash that the fuzzing engine keeps the input of. */
#define FINDING(...)                                                                                                   \
    do {                                                                                                               \
        fprintf(stderr, "finding: " __VA_ARGS__);                                                                      \
        fputc('\n', stderr);                                                                                           \
        abort();                                                                                                       \
    } while (0)

/* An error is one line of printable ASCII that begins with the label "f". */
static inline void check_error(const char *err)
{
    if (strncmp(err, "f: ", 3) != 0) FINDING("an error that does not begin with the file's name: %s", err);
    for (const char *s = err; *s != '\0'; s++)
        if (*s < 0x20 || *s > 0x7e) FINDING("an error with a byte %d in it", *s);
}

/* A refused file leaves nothing behind; an accepted one is what tensorfile.h promises. */
static inline void check_tensors(int result, const tensor_file *f, const char *err)
{
    if (result != 0) {
        check_error(err);
        if (f->t != NULL || f->entry != NULL || f->tensors != 0 || f->entries != 0)
            FINDING("a refused file left something");
        return;
    }
    static volatile double sink;
    for (size_t i = 0; i < f->tensors; i++) {
        const tensor *t = &f->t[i];
        size_t count;
        if (*t->name == '\0' || t->rank > TENSOR_RANK || tensor_count(t->rank, t->dim, &count) != 0 ||
            count != t->count)
            FINDING("a tensor that is not what its fields say");
        if (t->data == NULL || (uintptr_t)t->data % 8 != 0) FINDING("tensor data that are not aligned");
        for (size_t j = 0; j < count; j++) sink = tensor_get(t, j); /* every element is there */
        for (size_t j = 0; j < i; j++)
            if (strcmp(f->t[j].name, t->name) == 0) FINDING("a name that is there twice");
    }
    (void)sink;
}

/* A file in memory, if there is such a place, for targets that read back what they write. */
static inline const char *scratch_file(void)
{
    static char path[64];
    if (path[0] == '\0')
        snprintf(path, sizeof path, "%s/smoeref-fuzz-%ld", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp",
                 (long)getpid());
    return path;
}

#endif
