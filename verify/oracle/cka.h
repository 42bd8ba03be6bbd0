/* What `smoeref cka` says of the similarities that it measured: a table, JSON, CSV, a heat map. */
#ifndef SMOEREF_ORACLE_CKA_H
#define SMOEREF_ORACLE_CKA_H

#include <stdio.h>

#include "similarity_matrix.h"

typedef struct {
    const char *path, *tensor;
    size_t T, K;
    size_t *shared; /* [R,R]  samples that chose both experts; on the diagonal, those that chose the one */
} cka_routing;

typedef struct {
    const dump *d;
    const similarity_request *q;
    const similarity_result *r;
    const cka_routing *routing; /* or NULL */
} cka_report;

enum { CKA_TEXT = 240 };
const char *cka_kernel_text(const similarity_request *q, char text[CKA_TEXT]); /* "linear kernel" */
const char *cka_estimator_text(const cka_report *c, char text[CKA_TEXT]); /* "debiased" */
const char *cka_estimator_name(const similarity_request *q); /* the option's value */

void cka_print_table(FILE *f, const cka_report *c);
void cka_print_csv(FILE *f, const cka_report *c);
char *cka_json(const cka_report *c); /* malloc'd, with a newline at its end; NULL out of memory */

/* A heat map drawn by gnuplot, which must be on PATH; the format by the suffix of `path`, .svg or .png.  Nothing is
 * written: the image goes to *bytes, malloc'd.  0, or -1 with one line in err. */
bool cka_plot_format(const char *path); /* is it one of the two? */
int cka_plot_possible(char *err, size_t errlen);
int cka_plot(const char *path, const cka_report *c, unsigned char **bytes, size_t *n, char *err, size_t errlen);

#endif
