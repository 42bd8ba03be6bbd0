/* Between a case (op.h) and the files that carry it (tensorfile.h); the formats are in spec/formats.md.
 *
 * A prompt has the inputs, a cotangent d_<output> for every differentiable output, and the metadata op, parameters and
 * case.  An answer has the outputs and a gradient d_<input> for every differentiable input.
 */
#ifndef SMOEREF_ORACLE_PROMPT_H
#define SMOEREF_ORACLE_PROMPT_H

#include "op.h"
#include "tensorfile.h"

/* A case with the inputs, cotangents and parameters of a prompt.  Names, types, shapes, parameters and finiteness are
 * checked; on failure NULL, and err has one line naming file, tensor and what was expected.
 *   op    the operation asked for; NULL takes it from the metadata, where the two differ it is an error
 *   set   parameters that override those of the metadata, as text ("k=2,order=..."), or NULL
 *   name  out, may be NULL: the metadata's case (malloc'd), NULL if it has none
 *   cotangents  out, may be NULL: how many cotangents there were
 * Any float type converts exactly; a missing cotangent is zero.  op_run() is left to the caller. */
op_case *op_case_from_prompt(const char *path, const op_record *op, const char *set, char **name, size_t *cotangents,
                             char *err, size_t errlen);

/* The same of a prompt whose tensors stay in their file: head has their names, types and shapes, and the metadata (see
 * tensorview.h).  Values are not looked at, and the case has no arrays. */
op_case *op_case_shapes_from_prompt(const char *path, const op_record *op, const tensor_file *head, char *err,
                                    size_t errlen);

/* All parameters, defaults included, as a JSON object in the record's order: choices are strings ("version": "2"),
 * numbers are numbers.  malloc'd; NULL out of memory. */
char *op_parameters_json(const op_case *c);

/* Appends to a file: inputs and cotangents; metadata op, parameters and (unless NULL) case; outputs; gradients.
 * Tensors are F64, or I64 where the record says so.  0, or -1 out of memory. */
int op_add_prompt(tensor_file *f, const op_case *c, const char *name);
int op_add_answer(tensor_file *f, const op_case *c, bool gradients);

#endif
