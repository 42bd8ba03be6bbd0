/* The report as one page of HTML: no script, nothing from the network, readable on a telephone and in the dark. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report_parts.h"
#include "verdict_parts.h"

enum { SHOWN = 40, OPEN = 3, PICTURES = 6 }; /* failing cases in full; of these unfolded; heat maps a case */

static const char style[] =
    ":root{color-scheme:light "
    "dark;--ink:#1b1f24;--paper:#fff;--soft:#f3f5f7;--line:#d5dae0;--dim:#59636e;--good:#1a7f4b;"
    "--bad:#c2303a;--h0:#e4f0ea;--h1:#b9dcc9;--h2:#f1e3a4;--h3:#f3b26b;--h4:#e2703f;--h5:#a8182c}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e3e7eb;--paper:#14171a;--soft:#1f2429;--line:#39414a;--dim:#9aa5b1;"
    "--good:#4cc38a;--bad:#ff7b84;--h0:#1d2b25;--h1:#2c5140;--h2:#6d6430;--h3:#a86f2a;--h4:#d4622f;--h5:#ff4058}}\n"
    "body{margin:0 auto;max-width:72rem;padding:1rem;background:var(--paper);color:var(--ink);"
    "font:16px/1.5 system-ui,sans-serif}\n"
    "h1{font-size:1.5rem;margin:.3rem 0}h2{font-size:1.15rem;margin:2rem 0 .5rem}p{margin:.4rem 0}\n"
    ".dim{color:var(--dim)}.good{color:var(--good)}.bad{color:var(--bad);font-weight:600}\n"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}th,td{padding:.2rem .7rem;text-align:right;"
    "border-bottom:1px solid var(--line);white-space:nowrap}th{color:var(--dim);font-weight:500}"
    "td:first-child,th:first-child,td.t,th.t{text-align:left}\n"
    ".wide{overflow-x:auto}pre{background:var(--soft);padding:.7rem;overflow-x:auto;font-size:.85rem;white-space:pre-"
    "wrap;"
    "overflow-wrap:anywhere}\n"
    "details{border:1px solid var(--line);border-radius:6px;margin:.5rem 0;padding:.4rem "
    ".8rem}summary{cursor:pointer}\n"
    "figure{display:inline-block;margin:.5rem 1rem .5rem 0;vertical-align:top}figcaption{font-size:.85rem}"
    "svg{display:block;max-width:100%}.c0{fill:var(--h0)}.c1{fill:var(--h1)}.c2{fill:var(--h2)}.c3{fill:var(--h3)}"
    ".c4{fill:var(--h4)}.c5{fill:var(--h5)}text{fill:var(--ink);font-size:12px}.key "
    "b{font-weight:400;white-space:nowrap}.key span{display:inline-block;"
    "width:1em;height:1em;vertical-align:-.15em;margin:0 .3em 0 .9em}\n";

static const char *const level_name[VERDICT_LEVELS] = {"up to 1/16",  "up to 1/2",      "up to the bound",
                                                       "up to twice", "up to 16 times", "beyond, or NaN"};
static const unsigned char bin_level[VERDICT_BINS] = {0, 0, 0, 1, 1, 2, 3, 4, 5};
static const char *const bin_name[VERDICT_BINS] = {"0",        "to 2^-8", "to 1/16", "to 1/4", "to 1/2",
                                                   "to bound", "to 2",    "to 16",   "beyond"};

/* What print(f, ...) writes, escaped. */
#define PREFORMATTED(f, ...)                                                                                           \
    do {                                                                                                               \
        char *text_;                                                                                                   \
        size_t n_;                                                                                                     \
        FILE *m = verdict_stream(&text_, &n_);                                                                         \
        __VA_ARGS__;                                                                                                   \
        verdict_stream_end(m, &text_);                                                                                 \
        fputs("<pre>", f);                                                                                             \
        report_escape(f, text_);                                                                                       \
        fputs("</pre>\n", f);                                                                                          \
        free(text_);                                                                                                   \
    } while (0)

static void print_head(FILE *f, const report *r)
{
    const size_t failed = report_failed(r);
    fprintf(f,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
            "<title>smoeref: %zu passed, %zu failed</title>\n<style>\n%s</style>\n</head>\n<body>\n",
            r->cases - failed, failed, style);
    fprintf(f, "<header>\n<h1>smoeref: <span class=\"%s\">%zu passed, %zu failed</span></h1>\n<p class=\"dim\">suite ",
            failed ? "bad" : "good", r->cases - failed, failed);
    report_escape(f, r->suite);
    fprintf(f, ", seed %" PRIu64, r->seed);
    if (r->seeds > 1) fprintf(f, " to %" PRIu64, r->seed + r->seeds - 1);
    fprintf(f, ", judged at precision %s", r->precision->name);
    report_roundoff(f, r);
    fprintf(f, "%s, smoeref %s</p>\n</header>\n", r->forward ? ", outputs only (--forward)" : "", r->version);
}

/* --- one row an operation ---------------------------------------------------------------------------------------- */

static const verdict_tensor *worst_of(const verdict_case *v) { return v->worst < v->tensors ? &v->t[v->worst] : NULL; }

static void print_worst(FILE *f, const verdict_case *v)
{
    char ratio[REPORT_RATIO] = "-";
    const verdict_tensor *t = v->fault ? NULL : worst_of(v);
    if (t) report_ratio(ratio, t);
    fprintf(f, "<td>%s</td><td class=\"t\">", ratio);
    report_escape(f, t ? t->name : "");
    fputs("</td>", f);
}

static void print_names_of_variants(FILE *f, const report_explanation *e)
{
    const char *separator = "";
    for (size_t i = 0; i < e->variants; i++, separator = " or ") fprintf(f, "%s%s", separator, e->variant[i]->name);
    for (size_t i = 0; i < e->parts; i++)
        if (e->part[i].variant) {
            fprintf(f, "%s%s (%zu of %zu)", separator, e->part[i].variant->name, e->part[i].cases, e->with_values);
            separator = ", ";
        }
    if (e->failed > 0 && !*separator) fputs("no known variant", f);
}

static void print_operations(FILE *f, const report *r, const verdict_case **list)
{
    fputs(
        "<section id=\"operations\">\n<h2>Operations</h2>\n<div class=\"wide\"><table>\n<tr><th>operation</th><th>cases"
        "</th><th>failed</th><th>worst ratio</th><th class=\"t\">in tensor</th><th class=\"t\">equals</th></tr>\n",
        f);
    for (size_t which = 0;; which++) {
        report_explanation *e = report_explain(r, which);
        if (!e) break;
        size_t i = 0;
        while (i < r->cases && list[i]->op != e->op) i++;
        fprintf(f, "<tr><td>%s</td><td>%zu</td><td class=\"%s\">%zu</td>", e->op->id, e->cases,
                e->failed ? "bad" : "good", e->failed);
        if (i < r->cases) print_worst(f, list[i]);
        fputs("<td class=\"t\">", f);
        print_names_of_variants(f, e);
        fputs("</td></tr>\n", f);
        report_explanation_free(e);
    }
    fputs("</table></div>\n</section>\n", f);
}

/* --- ratios and decisions ---------------------------------------------------------------------------------------- */

static void print_histogram(FILE *f, const report *r)
{
    size_t bin[VERDICT_BINS] = {0}, most = 1;
    for (size_t i = 0; i < r->cases; i++)
        for (size_t j = 0; j < r->c[i].tensors; j++)
            for (size_t b = 0; b < VERDICT_BINS; b++) bin[b] += r->c[i].t[j].bin[b];
    for (size_t b = 0; b < VERDICT_BINS; b++) most = bin[b] > most ? bin[b] : most;
    fputs("<section id=\"ratios\">\n<h2>Ratios</h2>\n<p class=\"dim\">|got &minus; golden| / bound, element by "
          "element; up to "
          "the bound (1) an implementation of the equation may be off. Bars are on a logarithmic scale.</p>\n"
          "<svg viewBox=\"0 0 720 190\" width=\"720\" role=\"img\" aria-label=\"histogram of ratios\">\n",
          f);
    for (size_t b = 0; b < VERDICT_BINS; b++) {
        const double height = bin[b] ? 6 + 120 * log10((double)bin[b]) / fmax(1, log10((double)most)) : 0;
        fprintf(f,
                "<rect class=\"c%d\" x=\"%zu\" y=\"%.1f\" width=\"70\" height=\"%.1f\"/>"
                "<text x=\"%zu\" y=\"%.1f\" text-anchor=\"middle\">%zu</text>"
                "<text x=\"%zu\" y=\"176\" text-anchor=\"middle\">%s</text>\n",
                bin_level[b], b * 80 + 5, 156 - height, height, b * 80 + 40, 150 - height, bin[b], b * 80 + 40,
                bin_name[b]);
    }
    fputs("</svg>\n</section>\n", f);
}

static void print_decisions(FILE *f, const report *r)
{
    bool any = false;
    for (size_t i = 0; i < r->cases; i++) any |= r->c[i].tokens > 0;
    if (!any) return;
    fputs("<section id=\"decisions\">\n<h2>Decisions</h2>\n<p class=\"dim\">A token is ambiguous if, within the bounds "
          "of "
          "its scores, other experts could be chosen too; then everything after it is judged under the choice that was "
          "made.</p>\n<div class=\"wide\"><table>\n<tr><th>operation</th><th>taken</th><th>ambiguous</th>"
          "<th>other than golden</th><th>inadmissible</th></tr>\n",
          f);
    const op_record *op;
    for (size_t which = 0; (op = report_operation(r, which)); which++) {
        size_t tokens = 0, ambiguous = 0, differ = 0, wrong = 0;
        for (size_t i = 0; i < r->cases; i++) {
            if (r->c[i].op != op) continue;
            tokens += r->c[i].tokens;
            ambiguous += r->c[i].ambiguous;
            differ += r->c[i].differ;
            wrong += r->c[i].inadmissible;
        }
        if (tokens > 0)
            fprintf(f, "<tr><td>%s</td><td>%zu</td><td>%zu</td><td>%zu</td><td class=\"%s\">%zu</td></tr>\n", op->id,
                    tokens, ambiguous, differ, wrong ? "bad" : "good", wrong);
    }
    fputs("</table></div>\n</section>\n", f);
}

/* --- failures ---------------------------------------------------------------------------------------------------- */

/* Cells of one level as one path: runs along the rows. */
static void print_level(FILE *f, const verdict_tensor *t, unsigned level)
{
    bool begun = false;
    for (size_t i = 0; i < t->heat_rows; i++)
        for (size_t j = 0; j < t->heat_cols; j++) {
            size_t run = 0;
            while (j + run < t->heat_cols && t->heat[i * t->heat_cols + j + run] == level) run++;
            if (run == 0) continue;
            fputs(begun ? "" : "<path class=\"c", f);
            if (!begun) fprintf(f, "%u\" d=\"", level);
            begun = true;
            fprintf(f, "M%zu %zuh%zuv1h-%zuz", j, i, run, run);
            j += run - 1;
        }
    if (begun) fputs("\"/>", f);
}

static void print_heat(FILE *f, const verdict_tensor *t)
{
    const size_t largest = t->heat_rows > t->heat_cols ? t->heat_rows : t->heat_cols;
    const size_t side = largest > 24 ? 7 : largest > 12 ? 11 : 18;
    fprintf(f,
            "<figure><svg viewBox=\"0 0 %zu %zu\" width=\"%zu\" height=\"%zu\" shape-rendering=\"crispEdges\" "
            "role=\"img\">",
            t->heat_cols, t->heat_rows, t->heat_cols * side, t->heat_rows * side);
    for (unsigned level = 0; level < VERDICT_LEVELS; level++) print_level(f, t, level);
    fputs("</svg><figcaption>", f);
    report_escape(f, t->name);
    fputs("[", f);
    for (size_t i = 0; i < t->rank; i++) fprintf(f, "%s%zu", i ? "," : "", t->dim[i]);
    fprintf(f, "]: %zu of %zu fail</figcaption></figure>\n", t->outside, t->count);
}

static void print_key(FILE *f)
{
    fputs("<p class=\"key dim\">", f);
    for (int i = 0; i < VERDICT_LEVELS; i++)
        fprintf(f, "<b><span style=\"background:var(--h%d)\"></span>%s</b> ", i, level_name[i]);
    fputs("</p>\n", f);
}

static void print_failure(FILE *f, const verdict_case *v, bool open)
{
    size_t pictures = 0;
    fprintf(f, "<details%s><summary><b class=\"bad\">", open ? " open" : "");
    report_escape(f, v->name);
    fputs("</b> <span class=\"dim\">", f);
    report_escape(f, v->sizes);
    fputs(*v->parameters ? "; " : "", f);
    report_escape(f, v->parameters);
    fputs("</span></summary>\n", f);
    PREFORMATTED(f, report_print_failure(m, v));
    for (size_t i = 0; i < v->tensors && pictures < PICTURES; i++)
        if (v->t[i].heat && v->t[i].count > 1) {
            print_heat(f, &v->t[i]);
            pictures++;
        }
    fputs("</details>\n", f);
}

static void print_failures(FILE *f, const report *r, const verdict_case **list)
{
    size_t shown = 0, failed = report_failed(r);
    if (failed == 0) return;
    fputs("<section id=\"diagnosis\">\n<h2>Diagnosis</h2>\n", f);
    PREFORMATTED(f, report_print_explanations(m, r));
    fputs("</section>\n<section id=\"failures\">\n<h2>Failures, worst first</h2>\n<p class=\"dim\">The pictures: first "
          "axis "
          "down, the others across; each cell is the worst ratio in it.</p>\n",
          f);
    print_key(f);
    for (size_t i = 0; i < r->cases && shown < SHOWN; i++)
        if (!list[i]->pass) print_failure(f, list[i], shown++ < OPEN);
    if (failed > SHOWN) fprintf(f, "<p>... and %zu more; a .json report has all of them.</p>\n", failed - SHOWN);
    fputs("</section>\n", f);
}

/* --- all cases --------------------------------------------------------------------------------------------------- */

static void print_cases(FILE *f, const report *r, const verdict_case **list)
{
    fputs("<section id=\"cases\">\n<h2>Cases, worst first</h2>\n<div "
          "class=\"wide\"><table>\n<tr><th>case</th><th>verdict</th>"
          "<th>worst ratio</th><th class=\"t\">in tensor</th><th class=\"t\">sizes and parameters</th></tr>\n",
          f);
    for (size_t i = 0; i < r->cases; i++) {
        const verdict_case *v = list[i];
        fputs("<tr><td>", f);
        report_escape(f, v->name);
        fprintf(f, "</td><td class=\"%s\">%s</td>", v->pass ? "good" : "bad", v->pass ? "pass" : "FAIL");
        print_worst(f, v);
        fputs("<td class=\"t dim\">", f);
        report_escape(f, v->sizes);
        fputs(*v->parameters ? "; " : "", f);
        report_escape(f, v->parameters);
        fputs("</td></tr>\n", f);
    }
    fputs("</table></div>\n</section>\n", f);
}

void report_print_html(FILE *f, const report *r)
{
    const verdict_case **list = report_worst_first(r);
    if (!list) return;
    print_head(f, r);
    print_operations(f, r, list);
    print_failures(f, r, list);
    print_histogram(f, r);
    print_decisions(f, r);
    print_cases(f, r, list);
    if (r->exposed) {
        fputs("<section id=\"power\">\n<h2>Power</h2>\n", f);
        PREFORMATTED(f, report_print_power(m, r));
        fputs("</section>\n", f);
    }
    fputs("</body>\n</html>\n", f);
    free(list);
}
