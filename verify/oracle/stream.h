/* The lines of the pipe `smoeref gen --stream | program | smoeref ver` (spec/formats.md): one JSON object a line.
 *
 * A line that is read is treated as hostile: its length and the number of its arrays and objects are limited before it
 * is parsed, which bounds the memory that parsing takes.
 */
#ifndef SMOEREF_ORACLE_STREAM_H
#define SMOEREF_ORACLE_STREAM_H

#include <stdio.h>

#include "op.h"
#include "tensorfile.h"

enum { STREAM_VERSION = 1, STREAM_LINE = 8 << 20, STREAM_BRACKETS = 1000 };

/* Writes the line of a case: name, operation, sizes, parameters, inputs and cotangents.  The stream's own error flag tells
 * of what got lost; -1 out of memory. */
int stream_write_prompt(FILE *f, const op_case *c, const char *name);

/* Parses a line's one JSON object: a json_t to be released with json_decref(), or NULL with a line in err. */
struct json_t *stream_parse(const char *line, size_t n, char *err, size_t errlen);

/* Reads an answer {"name": ..., "tensors": {...}}.  Returns
 *   0   read: *name (malloc'd) and the tensors, to be cleared
 *   1   an answer to *name (malloc'd) whose tensors are unusable, for the reason in err
 *   -1  no answer, for the reason in err */
int stream_read_answer(const char *line, size_t n, char **name, tensor_file *f, char *err, size_t errlen);

#endif
