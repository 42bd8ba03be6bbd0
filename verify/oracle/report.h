/* Reports: text and a page of HTML for people, TAP and JUnit XML for test drivers, JSON for programs
 * (spec/schema/report.json). */
#ifndef SMOEREF_ORACLE_REPORT_H
#define SMOEREF_ORACLE_REPORT_H

#include <stdio.h>

#include "verdict.h"

typedef struct {
    const char *version; /* of smoeref */
    const char *suite; /* of the golden cases */
    uint64_t seed, seeds; /* first seed and how many */
    const twin_profile *precision;
    bool forward; /* gradients were not judged */
    bool selected; /* --where or --defaults left cases out */
    size_t cases;
    verdict_case *c;
    const bool *exposed; /* by index of twin_variants: these cases would have shown it; NULL if it was not asked */
} report;

typedef enum { REPORT_TEXT, REPORT_TAP, REPORT_JSON, REPORT_XML, REPORT_HTML } report_format;

/* By the file's extension: .txt .tap .json .xml .html.  False if it is none of these. */
bool report_format_of(const char *path, report_format *f);
/* The report as a malloc'd text of *n bytes; NULL out of memory. */
char *report_render(const report *r, report_format f, size_t *n);
/* The text report.  quiet: failing cases, diagnoses and the summary only. */
void report_print(FILE *f, const report *r, bool quiet, bool colour);

size_t report_failed(const report *r);

/* Some failing cases of one operation, and the variant that they equal; NULL: the ones that equal none. */
typedef struct {
    const twin_variant *variant;
    size_t cases;
    const verdict_case **c;
} report_part;

/* What explains all failing cases of one operation. */
typedef struct {
    const op_record *op;
    size_t cases, failed;
    size_t with_values; /* failing cases that have a value to explain */
    size_t variants;
    const twin_variant **variant; /* those that agree with every one of these, and tell in one; best first */
    size_t parts; /* where no variant explains all but some explain some: the most cases first, the rest last */
    report_part *part;
    size_t factors;
    struct {
        const char *tensor;
        unsigned mask; /* factors that explain it in every case in which it fails; 0: none does */
        size_t in[VERDICT_FACTORS]; /* how many of these cases each factor explains */
        size_t failing; /* cases */
        double value; /* the factor, NaN if it is not the same number in all of them */
        bool zeros; /* every failing element is exactly 0 */
    } * factor; /* one for each tensor that fails somewhere */
    bool factored; /* every one has a factor */
} report_explanation;

/* NULL past the last operation; free with report_explanation_free(). */
report_explanation *report_explain(const report *r, size_t which);
void report_explanation_free(report_explanation *e);

#endif
