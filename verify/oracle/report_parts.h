/* Pieces of a report that its forms share (report.c, report_html.c). */
#ifndef SMOEREF_ORACLE_REPORT_PARTS_H
#define SMOEREF_ORACLE_REPORT_PARTS_H

#include "report.h"
#include "roundoff.h"

/* The operation number `which`, in the order in which the cases name them; NULL past the last. */
const op_record *report_operation(const report *r, size_t which);
/* All cases, the worst first; to be freed.  NULL out of memory. */
const verdict_case **report_worst_first(const report *r);
const char *report_kind(const verdict_tensor *t);
enum { REPORT_RATIO = 24 };
void report_ratio(char s[REPORT_RATIO], const verdict_tensor *t);
/* A failing case in full; the diagnosis of each operation; what the cases would have exposed.  Plain text, lines. */
void report_print_failure(FILE *f, const verdict_case *v);
void report_print_explanations(FILE *f, const report *r);
void report_print_power(FILE *f, const report *r);
/* Which roundoffs were assumed: " (storage f32, ...)" */
void report_roundoff(FILE *f, const report *r);
/* Text inside markup or an attribute. */
void report_escape(FILE *f, const char *s);

void report_print_html(FILE *f, const report *r);

#endif
