/* See report.h. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "report.h"
#include "report_parts.h"
#include "verdict_parts.h"
#include "verify/oracle/invisible_table.h"

/* --- what the cases say together ----------------------------------------------------------------------------- */

size_t report_failed(const report *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->cases; i++) n += !r->c[i].pass;
    return n;
}

/* The operation number `which`, in the order in which the cases name them; NULL past the last. */
const op_record *report_operation(const report *r, size_t which)
{
    for (size_t i = 0; i < r->cases; i++) {
        bool first = true;
        for (size_t j = 0; j < i && first; j++) first = r->c[j].op != r->c[i].op;
        if (first && which-- == 0) return r->c[i].op;
    }
    return NULL;
}

static bool value_failed(const verdict_tensor *t) { return t->judged && !t->pass; }

/* If so the case fails. */
static bool has_values(const verdict_case *v)
{
    for (size_t i = 0; i < v->tensors; i++)
        if (value_failed(&v->t[i])) return true;
    return false;
}

static const verdict_match *match_of(const verdict_case *v, const twin_variant *variant)
{
    for (size_t i = 0; i < v->matches; i++)
        if (v->match[i].variant == variant) return &v->match[i];
    return NULL;
}

/* Does the variant agree with every failing case, and differ from the equation for certain in one of them? */
static bool explains(const report *r, const op_record *op, const twin_variant *variant)
{
    bool tells = false;
    for (size_t i = 0; i < r->cases; i++) {
        const verdict_case *v = &r->c[i];
        if (v->op != op || !has_values(v)) continue;
        const verdict_match *m = match_of(v, variant);
        if (!m) return false;
        tells |= m->tells;
    }
    return tells;
}

/* In the order of the first failing case, where the best is first. */
static void common_variants(const report *r, report_explanation *e)
{
    const verdict_case *first = NULL;
    for (size_t i = 0; i < r->cases && !first; i++)
        if (r->c[i].op == e->op && has_values(&r->c[i])) first = &r->c[i];
    if (!first || first->matches == 0) return;
    e->variant = verdict_allocate(first->matches, sizeof *e->variant);
    for (size_t m = 0; m < first->matches; m++)
        if (explains(r, e->op, first->match[m].variant)) e->variant[e->variants++] = first->match[m].variant;
}

/* How many of these cases agree with the variant; 0 if it does not differ from the equation for certain in one. */
static size_t agreeing_cases(const verdict_case *const *list, size_t n, const twin_variant *variant)
{
    size_t agree = 0;
    bool tells = false;
    for (size_t i = 0; i < n; i++) {
        const verdict_match *m = match_of(list[i], variant);
        agree += m != NULL;
        tells |= m && m->tells;
    }
    return tells ? agree : 0;
}

/* Moves the cases that agree with the variant (NULL: all) out of the list; the number of those that stay. */
static size_t take_part(report_explanation *e, const verdict_case **list, size_t n, const twin_variant *variant)
{
    size_t stay = 0;
    report_part *grown = realloc(e->part, (e->parts + 1) * sizeof *grown);
    if (!grown) verdict_out_of_memory();
    e->part = grown;
    report_part *p = &e->part[e->parts++];
    *p = (report_part){.variant = variant, .c = verdict_allocate(n, sizeof *p->c)};
    for (size_t i = 0; i < n; i++)
        if (!variant || match_of(list[i], variant))
            p->c[p->cases++] = list[i];
        else
            list[stay++] = list[i];
    return stay;
}

/* Parts the failing cases by the variants that explain some of them, while there are such. */
static void part_cases(const report *r, report_explanation *e)
{
    const verdict_case **list = e->variants == 0 ? verdict_allocate(e->with_values, sizeof *list) : NULL;
    size_t n = 0;
    for (size_t i = 0; list && i < r->cases; i++)
        if (r->c[i].op == e->op && has_values(&r->c[i])) list[n++] = &r->c[i];
    while (n > 0) {
        const twin_variant *best = NULL;
        size_t most = 0;
        for (size_t i = 0; i < n; i++)
            for (size_t m = 0; m < list[i]->matches; m++) {
                const size_t agree = agreeing_cases(list, n, list[i]->match[m].variant);
                if (agree <= most) continue;
                most = agree;
                best = list[i]->match[m].variant;
            }
        if (!best && e->parts == 0) break; /* none explains any */
        n = take_part(e, list, n, best);
    }
    free(list);
}

static void add_factor(report_explanation *e, const verdict_tensor *t)
{
    size_t i = 0;
    while (i < e->factors && strcmp(e->factor[i].tensor, t->name) != 0) i++;
    if (i == e->factors) {
        void *list = realloc(e->factor, (e->factors + 1) * sizeof *e->factor);
        if (!list) verdict_out_of_memory();
        e->factor = list;
        memset(&e->factor[e->factors++], 0, sizeof *e->factor);
        e->factor[i].tensor = t->name;
        e->factor[i].mask = t->factors;
        e->factor[i].value = t->factor;
        e->factor[i].zeros = t->zeros;
    }
    e->factor[i].mask &= t->factors;
    e->factor[i].zeros &= t->zeros;
    if (e->factor[i].value < t->factor || e->factor[i].value > t->factor) e->factor[i].value = NAN;
    e->factor[i].failing++;
    for (size_t b = 0; b < VERDICT_FACTORS; b++) e->factor[i].in[b] += t->factors >> b & 1U;
}

report_explanation *report_explain(const report *r, size_t which)
{
    const op_record *op = report_operation(r, which);
    report_explanation *e = op ? verdict_allocate(1, sizeof *e) : NULL;
    if (!e) return NULL;
    e->op = op;
    for (size_t i = 0; i < r->cases; i++) {
        const verdict_case *v = &r->c[i];
        if (v->op != op) continue;
        e->cases++;
        e->with_values += has_values(v);
        if (v->pass) continue;
        e->failed++;
        for (size_t j = 0; j < v->tensors; j++)
            if (value_failed(&v->t[j])) add_factor(e, &v->t[j]);
    }
    common_variants(r, e);
    part_cases(r, e);
    e->factored = e->factors > 0;
    for (size_t i = 0; i < e->factors; i++) e->factored &= e->factor[i].mask != 0;
    return e;
}

void report_explanation_free(report_explanation *e)
{
    if (!e) return;
    free(e->variant);
    for (size_t i = 0; i < e->parts; i++) free(e->part[i].c);
    free(e->part);
    free(e->factor);
    free(e);
}

/* --- pieces of text ------------------------------------------------------------------------------------------ */

const char *report_kind(const verdict_tensor *t)
{
    if (t->gradient) return "gradient";
    switch (t->kind) {
    case OP_EXACT:
        return "exact";
    case OP_DECISION:
        return "decision";
    case OP_STAGE:
        return "stage";
    case OP_INPUT:
    case OP_BOUNDED:
        break;
    }
    return t->slot == OP_TENSORS ? "unknown" : "output";
}

void report_ratio(char s[REPORT_RATIO], const verdict_tensor *t)
{
    if (!t->judged || t->kind == OP_DECISION)
        snprintf(s, REPORT_RATIO, "-");
    else if (isnan(t->ratio))
        snprintf(s, REPORT_RATIO, "NaN");
    else
        snprintf(s, REPORT_RATIO, t->ratio == 0 || (t->ratio >= 1e-3 && t->ratio < 1e4) ? "%.3f" : "%.2e", t->ratio);
}

/* One name: where several coincide, the plain number that they are; a size such as K only if nothing else fits. */
static void factor_text(char *s, size_t len, unsigned mask, double value, bool zeros)
{
    const char *name = "";
    size_t names = 0;
    for (size_t i = 0; verdict_factor(i, NULL, NULL); i++) {
        if (!(mask & 1U << i)) continue;
        const char *mine = verdict_factor(i, NULL, NULL);
        const bool number = strspn(mine, "-/0123456789") == strlen(mine);
        if (names++ == 0 || number) name = mine;
        if (!number) continue;
        names = 1;
        break;
    }
    if (names > 1 && !isnan(value)) {
        const bool whole = fabs(value) >= 1;
        snprintf(s, len, "%s%.6g", whole ? "" : "1/", whole ? value : 1 / value);
    } else
        snprintf(s, len, "%s%s", name, strcmp(name, "0") == 0 && zeros ? " (all are exactly 0)" : "");
}

static bool is_loss(const verdict_tensor *t) { return !t->gradient && strcmp(t->name, "loss") == 0; }

/* Is a computed before b?  Stages, decisions, outputs (a loss last: it is made of the others), gradients. */
static bool precedes(const verdict_tensor *a, const verdict_tensor *b)
{
    if (is_loss(a) != is_loss(b)) return is_loss(a) ? b->gradient : !a->gradient;
    return a < b;
}

static const verdict_tensor *first_departure(const verdict_case *v)
{
    const verdict_tensor *first = NULL;
    for (size_t i = 0; i < v->tensors; i++)
        if (value_failed(&v->t[i]) && (!first || precedes(&v->t[i], first))) first = &v->t[i];
    return first;
}

/* With the names of the tensors that were given, judged and agree, and are computed before it. */
static void print_departure(FILE *f, const char *indent, const verdict_case *v)
{
    const verdict_tensor *t = first_departure(v);
    size_t told = 0;
    if (!t) return;
    fprintf(f, "%sfirst to depart: %s%s", indent, t->gradient ? "the gradient " : "", t->name);
    for (size_t i = 0; i < v->tensors; i++)
        if (v->t[i].judged && v->t[i].pass && precedes(&v->t[i], t))
            fprintf(f, "%s%s", told++ ? ", " : " (right before it: ", v->t[i].name);
    fputs(told ? ")\n" : "\n", f);
}

static void print_variant(FILE *f, const char *indent, const char *how, const twin_variant *w)
{
    fprintf(f, "%s%s %s: %s; met in %s; effect: %s\n", indent, how, w->formula, w->name, w->met, w->effect);
}

typedef struct {
    const char *red, *green, *bold, *off;
} palette;

static palette colours(bool colour)
{
    return colour ? (palette){"\033[31m", "\033[32m", "\033[1m", "\033[0m"} : (palette){"", "", "", ""};
}

/* --- tables -------------------------------------------------------------------------------------------------- */

/* A fault, a NaN or a choice that fails before any number; then the larger ratio, which is above 1 where a tensor fails. */
static double severity(const verdict_tensor *t)
{
    if (t->fault) return INFINITY;
    if (!t->judged) return -1;
    if (t->kind == OP_DECISION) return t->pass ? 0 : INFINITY;
    return isnan(t->ratio) ? INFINITY : t->ratio;
}

static double case_severity(const verdict_case *v)
{
    if (v->fault) return INFINITY;
    return v->worst < v->tensors ? severity(&v->t[v->worst]) : 0;
}

/* One tensor of one operation over all cases. */
typedef struct {
    const verdict_tensor *worst;
    const verdict_case *in;
    size_t cases, failing, vacuous, elements;
} row;

static int by_severity(const void *a, const void *b)
{
    const double x = severity(((const row *)a)->worst), y = severity(((const row *)b)->worst);
    return x > y ? -1 : x < y;
}

static void add_row(row *list, size_t *n, const verdict_case *v, const verdict_tensor *t)
{
    size_t i = 0;
    while (i < *n && strcmp(list[i].worst->name, t->name) != 0) i++;
    if (i == *n) list[(*n)++] = (row){.worst = t, .in = v};
    list[i].cases++;
    list[i].failing += !t->pass;
    list[i].vacuous += t->vacuous;
    list[i].elements += t->count;
    if (severity(t) > severity(list[i].worst)) {
        list[i].worst = t;
        list[i].in = v;
    }
}

static void print_row(FILE *f, const row *x, palette c)
{
    char ratio[REPORT_RATIO], vacuous[VERDICT_TEXT] = "";
    report_ratio(ratio, x->worst);
    if (x->vacuous) snprintf(vacuous, sizeof vacuous, "%zu", x->vacuous);
    fprintf(f, "  %-16s %-9s %9zu %11s %8s  %s%s%s", x->worst->name, report_kind(x->worst), x->elements, ratio, vacuous,
            x->failing ? c.red : c.green, x->failing ? "FAIL" : "pass", c.off);
    if (x->failing && x->cases > 1) fprintf(f, " in %zu of %zu cases", x->failing, x->cases);
    fputc('\n', f);
}

/* Does the answer have a decision that could be judged? */
static bool answered(const verdict_case *v)
{
    for (size_t i = 0; i < v->tensors; i++)
        if (v->t[i].kind == OP_DECISION && v->t[i].judged) return true;
    return false;
}

enum { ROWS = 3 * OP_TENSORS }; /* more than an operation has outputs and gradients */

/* One table an operation: every tensor that was given or owed, the worst first. */
static void print_operation(FILE *f, const report *r, const op_record *op, palette c)
{
    row list[ROWS];
    size_t n = 0, cases = 0, tokens = 0, ambiguous = 0, differ = 0, inadmissible = 0;
    bool selections = false;
    for (size_t i = 0; i < r->cases; i++) {
        const verdict_case *v = &r->c[i];
        if (v->op != op) continue;
        cases++;
        selections |= v->tokens > 0;
        tokens += answered(v) ? v->tokens : 0;
        ambiguous += answered(v) ? v->ambiguous : 0;
        differ += v->differ;
        inadmissible += v->inadmissible;
        for (size_t j = 0; j < v->tensors && n < ROWS; j++)
            if (v->t[j].slot != OP_TENSORS && (v->t[j].present || v->t[j].fault)) add_row(list, &n, v, &v->t[j]);
    }
    fprintf(f, "%s%s%s, %zu case%s\n", c.bold, op->id, c.off, cases, cases == 1 ? "" : "s");
    if (n > 0) fprintf(f, "  %-16s %-9s %9s %11s %8s\n", "tensor", "kind", "elements", "worst ratio", "vacuous");
    qsort(list, n, sizeof *list, by_severity);
    for (size_t i = 0; i < n; i++) print_row(f, &list[i], c);
    if (tokens > 0)
        fprintf(f, "  decisions: %zu, ambiguous %zu, other than golden %zu, inadmissible %zu\n", tokens, ambiguous,
                differ, inadmissible);
    else if (selections)
        fprintf(f, "  decisions: none answered\n");
}

const verdict_case **report_worst_first(const report *r)
{
    const verdict_case **list = verdict_allocate(r->cases, sizeof *list);
    for (size_t i = 0; i < r->cases; i++) {
        size_t at = i;
        for (; at > 0 && case_severity(list[at - 1]) < case_severity(&r->c[i]); at--) list[at] = list[at - 1];
        list[at] = &r->c[i];
    }
    return list;
}

enum { LINES = 40, DETAILED = 12 }; /* cases listed; failing cases shown in full.  The JSON report has all. */

static void print_case_line(FILE *f, const verdict_case *v, palette c)
{
    char ratio[REPORT_RATIO] = "-";
    const verdict_tensor *t = v->worst < v->tensors ? &v->t[v->worst] : NULL;
    if (t && !v->fault) report_ratio(ratio, t);
    fprintf(f, "  %s%s%s  %-44s %11s", v->pass ? c.green : c.red, v->pass ? "pass" : "FAIL", c.off, v->name, ratio);
    if (t && !v->fault) fprintf(f, "  %s", t->name);
    if (v->differ > 0) fprintf(f, "  (%zu other decision%s)", v->differ, v->differ == 1 ? "" : "s");
    if (v->vacuous > 0) fprintf(f, "  (%zu vacuous)", v->vacuous);
    fputc('\n', f);
}

static void print_cases(FILE *f, const report *r, const verdict_case **list, palette c)
{
    fprintf(f, "%scases, worst first%s\n", c.bold, c.off);
    for (size_t i = 0; i < r->cases && i < LINES; i++) print_case_line(f, list[i], c);
    if (r->cases > LINES) fprintf(f, "  ... and %zu more, none worse\n", r->cases - LINES);
}

/* --- failures in full ---------------------------------------------------------------------------------------- */

static void print_output(FILE *f, const char *text)
{
    while (text && *text) {
        const size_t n = strcspn(text, "\n");
        fprintf(f, "    | %.*s\n", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

static void print_explanation_of_case(FILE *f, const verdict_case *v)
{
    for (size_t i = 0; i < v->matches && v->match[i].tells; i++)
        print_variant(f, "    ", i ? "or equals" : "equals", v->match[i].variant);
    if (v->matches > 0 && v->match[0].tells) return;
    for (size_t i = 0; i < v->tensors; i++) {
        const verdict_tensor *t = &v->t[i];
        char text[VERDICT_TEXT];
        if (t->factors == 0) continue;
        factor_text(text, sizeof text, t->factors, t->factor, t->zeros);
        fprintf(f, "    %s: every failing element equals golden times %s\n", t->name, text);
    }
}

static void print_failure(FILE *f, const verdict_case *v, palette c)
{
    fprintf(f, "%sFAIL%s %s%s%s: %s (%s), %s%s%s\n", c.red, c.off, c.bold, v->name, c.off, v->op->id, v->op->equations,
            v->sizes, *v->parameters ? "; " : "", v->parameters);
    if (v->fault) fprintf(f, "    %s\n", v->fault);
    print_output(f, v->output);
    for (size_t i = 0; i < v->details; i++) fprintf(f, "    %s\n", v->detail[i]);
    if (v->replayed)
        fprintf(f, "    judged under its own decision: %zu of %zu tokens chose other experts than golden\n", v->differ,
                v->tokens);
    print_departure(f, "    ", v);
    print_explanation_of_case(f, v);
}

/* Equal but for the cases' own names? */
static bool same_text(const char *a, const char *name, const char *b, const char *other)
{
    const size_t n = strcspn(name, " "), m = strcspn(other, " "); /* without " (seed 2)" */
    if (!a || !b) return a == b;
    while (*a || *b) {
        const bool mine = strncmp(a, name, n) == 0, theirs = strncmp(b, other, m) == 0;
        if (mine && theirs) {
            a += n;
            b += m;
        } else if (*a++ != *b++)
            return false;
    }
    return true;
}

/* Did nothing but the run of the program fail, and in the same way? */
static bool same_failure(const verdict_case *a, const verdict_case *b)
{
    return a->fault && b->fault && a->details == 0 && b->details == 0 &&
           same_text(a->fault, a->name, b->fault, b->name) && same_text(a->output, a->name, b->output, b->name);
}

/* The first in the list that failed in the same way; NULL: this one is the first. */
static const verdict_case *told_before(const verdict_case **list, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (same_failure(list[j], list[i])) return list[j];
    return NULL;
}

static void print_failures(FILE *f, const verdict_case **list, size_t n, palette c)
{
    size_t shown = 0, more = 0;
    for (size_t i = 0; i < n; i++) {
        if (list[i]->pass || told_before(list, i)) continue;
        size_t same = 0;
        for (size_t j = i + 1; j < n; j++) same += same_failure(list[i], list[j]);
        if (shown >= DETAILED) {
            more += 1 + same;
            continue;
        }
        shown++;
        print_failure(f, list[i], c);
        if (same > 0) fprintf(f, "    and %zu more case%s in the same way\n", same, same == 1 ? "" : "s");
    }
    if (more > 0) fprintf(f, "... and %zu more failing cases (a .json report has all of them)\n", more);
}

/* "first, sequences": the names of cases without that of their operation. */
static void print_names(FILE *f, const report_part *p)
{
    enum { NAMES = 12 };
    for (size_t i = 0; i < p->cases && i < NAMES; i++) {
        const char *name = p->c[i]->name, *id = p->c[i]->op->id;
        const size_t n = strlen(id);
        fprintf(f, "%s%s", i ? ", " : "", strncmp(name, id, n) == 0 && name[n] == '.' ? name + n + 1 : name);
    }
    if (p->cases > NAMES) fprintf(f, " and %zu more", p->cases - NAMES);
}

/* "7 of 10 failing cases equal ...; the other 3: first, sequences" */
static void print_parts(FILE *f, const char *indent, const report_explanation *e)
{
    for (size_t i = 0; i < e->parts; i++) {
        const report_part *p = &e->part[i];
        if (i) fputs(indent, f);
        if (p->variant) {
            const twin_variant *w = p->variant;
            fprintf(f, "%zu of %zu failing cases equal%s %s: %s; met in %s; effect: %s", p->cases, e->with_values,
                    p->cases > 1 ? "" : "s", w->formula, w->name, w->met, w->effect);
        } else
            fprintf(f, "the other %zu: ", p->cases);
        if (!p->variant) print_names(f, p);
        fputc('\n', f);
    }
}

/* The factor that explains the most cases in which the tensor fails, and how many: all, or a third of them and more
 * than one; else 0. */
static size_t common_factor(const report_explanation *e, size_t i, char *text, size_t len)
{
    size_t best = 0;
    for (size_t b = 1; b < VERDICT_FACTORS; b++)
        if (e->factor[i].in[b] > e->factor[i].in[best]) best = b;
    const size_t in = e->factor[i].mask ? e->factor[i].failing : e->factor[i].in[best];
    const unsigned mask = e->factor[i].mask ? e->factor[i].mask : 1U << best;
    if (in < e->factor[i].failing && (3 * in < e->factor[i].failing || in < 2)) return 0;
    if (in > 0 && text) factor_text(text, len, mask, e->factor[i].value, e->factor[i].zeros);
    return in;
}

/* What is golden times a number; the first line after `first`, the others indented.  How many there are. */
static size_t print_factors(FILE *f, const char *first, const report_explanation *e)
{
    size_t told = 0;
    for (size_t i = 0; i < e->factors; i++) {
        char text[VERDICT_TEXT];
        const size_t in = common_factor(e, i, text, sizeof text), failing = e->factor[i].failing;
        if (in == 0) continue;
        fprintf(f, "%s%s: golden times %s, in ", told++ ? "    " : first, e->factor[i].tensor, text);
        if (failing == 1)
            fputs("the one case where it fails\n", f);
        else if (in == failing)
            fprintf(f, "all %zu cases where it fails\n", failing);
        else
            fprintf(f, "%zu of the %zu cases where it fails\n", in, failing);
    }
    return told;
}

/* Does a factor explain some tensor in more failing cases than any variant explains? */
static bool factor_leads(const report_explanation *e)
{
    size_t most = 0;
    for (size_t i = 0; i < e->factors; i++) {
        const size_t in = common_factor(e, i, NULL, 0);
        if (in > most) most = in;
    }
    return e->variants == 0 && e->parts > 0 && most > e->part[0].cases;
}

static void print_explanation(FILE *f, const report_explanation *e)
{
    if (e->with_values == 0) return;
    fprintf(f, "%s: ", e->op->id);
    const size_t led = factor_leads(e) ? print_factors(f, "", e) : 0;
    if (led > 0) fputs("    ", f);
    if (e->variants > 0) {
        fprintf(f, "%s%zu failing case%s", e->with_values > 1 ? "all " : "the ", e->with_values,
                e->with_values > 1 ? "s" : "");
        for (size_t i = 0; i < e->variants; i++)
            print_variant(f, i ? "    " : " ", i ? "or equal" : e->with_values > 1 ? "equal" : "equals", e->variant[i]);
    } else if (e->parts > 0)
        print_parts(f, "    ", e);
    else
        fprintf(f, "no known wrong variant explains %s failing case%s\n", e->with_values > 1 ? "all" : "the",
                e->with_values > 1 ? "s" : "");
    if (e->variants == 0 && led == 0) print_factors(f, "    ", e);
}

/* Which parameters of "k=2 order=topk-softmax" are away from their defaults?  Sets their bits.  k is no variant: all have one.
 * The text may come out of a shard's file: it is read as far as it is in order. */
static unsigned set_in(const verdict_case *v)
{
    const char *text = v->parameters;
    unsigned set = 0;
    for (size_t i = 0; v->op->param && v->op->param[i].name && *text; i++) {
        const op_param *p = &v->op->param[i];
        const size_t name = strlen(p->name);
        if (strncmp(text, p->name, name) != 0 || text[name] != '=') break;
        const char *value = text + name + 1;
        const size_t length = strcspn(value, " "), first = strcspn(p->values, "|");
        const double gap = strtod(value, NULL) - strtod(p->values, NULL);
        const bool same =
            p->type == OP_CHOICE ? length == first && strncmp(value, p->values, length) == 0 : !(gap < 0) && !(gap > 0);
        if (!same && strcmp(p->name, "k") != 0) set |= 1U << i;
        text = value + length + (value[length] == ' ');
    }
    return set;
}

/* Failing cases that set a parameter may be variants that the candidate never claimed to be.  What every case sets has been
 * asked for. */
static void print_set(FILE *f, const report *r, const report_explanation *e)
{
    unsigned everywhere = ~0U, set = 0;
    size_t cases = 0;
    for (size_t i = 0; i < r->cases; i++)
        if (r->c[i].op == e->op) everywhere &= set_in(&r->c[i]);
    for (size_t i = 0; i < r->cases; i++) {
        if (r->c[i].op != e->op || r->c[i].pass || r->c[i].fault) continue;
        const unsigned mine = set_in(&r->c[i]) & ~everywhere;
        cases += mine != 0;
        set |= mine;
    }
    if (cases == 0) return;
    fprintf(f, "    %zu of these %s ", cases, cases == 1 ? "sets" : "set");
    for (size_t i = 0, told = 0; i < OP_PARAMS; i++) {
        if (!(set & 1U << i)) continue;
        fprintf(f, "%s%s", told++ == 0 ? "" : set >> i == 1 ? " or " : ", ", e->op->param[i].name);
    }
    fputs(": if your code has no such variants, --defaults or --where leaves them out\n", f);
}

/* Where the smallest case is shown that was found (check_shrink.c). */
static void print_smallest(FILE *f, const report *r, const report_explanation *e)
{
    for (size_t i = 0; i < r->cases; i++)
        if (r->c[i].op == e->op && r->c[i].shrunk)
            fprintf(f, "    the smallest case found that fails so is shown under %s\n", r->c[i].name);
}

static void print_narrow(FILE *f, const report *r, const report_explanation *e)
{
    for (size_t i = 0; i < r->cases; i++)
        if (r->c[i].op == e->op && !r->c[i].pass && !r->c[i].narrow) return;
    fputs("    every number of the failing answers is a float32 number: if that is your precision, --precision f32\n",
          f);
}

void report_print_explanations(FILE *f, const report *r)
{
    for (size_t i = 0;; i++) {
        report_explanation *e = report_explain(r, i);
        if (!e) return;
        print_explanation(f, e);
        if (e->failed > 0) print_narrow(f, r, e);
        print_set(f, r, e);
        print_smallest(f, r, e);
        report_explanation_free(e);
    }
}

/* Why no case can show a variant in this precision; NULL if one can. */
static const char *why_invisible(const twin_variant *v, const twin_profile *p)
{
    for (size_t i = 0; invisible_table[i].name && !p->apart; i++)
        if (strcmp(invisible_table[i].name, v->name) == 0 && strcmp(invisible_table[i].op, v->op) == 0 &&
            strcmp(invisible_table[i].precision, p->name) == 0)
            return invisible_table[i].reason;
    return NULL;
}

/* Is it a variant of one of these operations, and not exposed? */
static bool unexposed(const report *r, const op_record *op, size_t i)
{
    return strcmp(twin_variants[i].op, op->id) == 0 && !r->exposed[i];
}

/* Known wrong variants of the operations at hand: how many would these cases have exposed?  Those that they would not have
 * are named, and those that none could, with the reason. */
void report_print_power(FILE *f, const report *r)
{
    size_t known = 0, exposed = 0;
    if (!r->exposed) return;
    for (size_t which = 0; report_operation(r, which); which++)
        for (size_t i = 0; twin_variants[i].op; i++) {
            if (strcmp(twin_variants[i].op, report_operation(r, which)->id) != 0) continue;
            known++;
            exposed += r->exposed[i];
        }
    fprintf(f, "power: of %zu known wrong variants of these operations, these cases expose %zu at %s", known, exposed,
            r->precision->name);
    const char *separator = "; not ";
    for (size_t which = 0; report_operation(r, which); which++)
        for (size_t i = 0; twin_variants[i].op; i++) {
            if (!unexposed(r, report_operation(r, which), i) || why_invisible(&twin_variants[i], r->precision))
                continue;
            fprintf(f, "%s%s of %s", separator, twin_variants[i].name, twin_variants[i].op);
            separator = ", ";
        }
    if (r->selected && *separator == ',') fputs(" (some may be mistakes in what --where or --defaults leaves out)", f);
    fputc('\n', f);
    for (size_t which = 0; report_operation(r, which); which++)
        for (size_t i = 0; twin_variants[i].op; i++) {
            const char *why = why_invisible(&twin_variants[i], r->precision);
            if (why && unexposed(r, report_operation(r, which), i))
                fprintf(f, "    %s cannot show %s of %s: %s\n", r->precision->name, twin_variants[i].name,
                        twin_variants[i].op, why);
        }
}

void report_print_failure(FILE *f, const verdict_case *v) { print_failure(f, v, colours(false)); }

/* Which roundoffs were assumed. */
void report_roundoff(FILE *f, const report *r)
{
    char *text = roundoff_text(r->precision);
    if (!text) verdict_out_of_memory();
    fputs(" (", f);
    report_escape(f, text); /* names of tensors need no escape: the same in all formats */
    fputc(')', f);
    free(text);
}

void report_print(FILE *f, const report *r, bool quiet, bool colour)
{
    const palette c = colours(colour);
    const size_t failed = report_failed(r);
    const verdict_case **list = report_worst_first(r);
    if (!quiet) {
        fprintf(f, "%zu case%s of suite %s, seed %" PRIu64, r->cases, r->cases == 1 ? "" : "s", r->suite, r->seed);
        if (r->seeds > 1) fprintf(f, "..%" PRIu64, r->seed + r->seeds - 1);
        fprintf(f, ", judged at precision %s", r->precision->name);
        report_roundoff(f, r);
        fputs("\n\n", f);
        for (size_t i = 0; report_operation(r, i); i++) print_operation(f, r, report_operation(r, i), c);
        fputc('\n', f);
        print_cases(f, r, list, c);
        fputc('\n', f);
    }
    if (failed > 0) {
        print_failures(f, list, r->cases, c);
        fputc('\n', f);
        report_print_explanations(f, r);
    }
    report_print_power(f, r);
    if (r->forward) fputs("gradients were not judged (--forward)\n", f);
    if (quiet && r->precision->apart) {
        fprintf(f, "judged at precision %s", r->precision->name);
        report_roundoff(f, r);
        fputc('\n', f);
    }
    fprintf(f, "%s%zu passed, %zu failed%s\n", failed ? c.red : c.green, r->cases - failed, failed, c.off);
    free(list);
}

/* --- TAP ----------------------------------------------------------------------------------------------------- */

static void print_tap(FILE *f, const report *r)
{
    fprintf(f, "TAP version 13\n# precision %s", r->precision->name);
    report_roundoff(f, r);
    fprintf(f, "\n1..%zu\n", r->cases);
    for (size_t i = 0; i < r->cases; i++) {
        const verdict_case *v = &r->c[i];
        fprintf(f, "%s %zu - %s (%s)\n", v->pass ? "ok" : "not ok", i + 1, v->name, v->op->id);
        if (v->pass) continue;
        char *text;
        size_t n;
        FILE *m = verdict_stream(&text, &n);
        print_failure(m, v, colours(false));
        verdict_stream_end(m, &text);
        for (const char *p = text; *p;) { /* a diagnostic line each */
            const size_t line = strcspn(p, "\n");
            fprintf(f, "# %.*s\n", (int)line, p);
            p += line + (p[line] == '\n');
        }
        free(text);
    }
    for (size_t i = 0;; i++) {
        report_explanation *e = report_explain(r, i);
        if (!e) break;
        for (size_t w = 0; w < e->variants; w++) print_variant(f, "# ", e->op->id, e->variant[w]);
        if (e->parts > 0) fprintf(f, "# %s: ", e->op->id);
        print_parts(f, "#     ", e);
        report_explanation_free(e);
    }
    if (r->forward) fputs("# gradients were not judged (--forward)\n", f);
    fprintf(f, "# %zu passed, %zu failed\n", r->cases - report_failed(r), report_failed(r));
}

/* --- JUnit XML ----------------------------------------------------------------------------------------------- */

/* Text here is valid UTF-8 without control characters (verdict_say); only markup is left to escape. */
void report_escape(FILE *f, const char *s)
{
    static const char special[] = "&<>\"\n\t";
    static const char *const escaped[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#10;", "&#9;"};
    for (; *s; s++) {
        const char *which = strchr(special, *s);
        if (which)
            fputs(escaped[which - special], f);
        else
            fputc(*s, f);
    }
}

static void print_xml_case(FILE *f, const report *r, const verdict_case *v)
{
    fprintf(f, "    <testcase classname=\"smoeref.%s.", r->precision->name);
    report_escape(f, v->op->id);
    fputs("\" name=\"", f);
    report_escape(f, v->name);
    if (v->pass) {
        fputs("\"/>\n", f);
        return;
    }
    const verdict_tensor *t = first_departure(v);
    fputs("\">\n      <failure type=\"verdict\" message=\"", f);
    report_escape(f, v->fault ? v->fault : v->details ? v->detail[0] : t ? t->name : "failed");
    fputs("\">", f);
    char *text;
    size_t n;
    FILE *m = verdict_stream(&text, &n);
    print_failure(m, v, colours(false));
    verdict_stream_end(m, &text);
    report_escape(f, text);
    free(text);
    fputs("</failure>\n    </testcase>\n", f);
}

static void print_xml(FILE *f, const report *r)
{
    fprintf(f,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<testsuites name=\"smoeref%s\" tests=\"%zu\" failures=\"%zu\">\n",
            r->forward ? ", outputs only" : "", r->cases, report_failed(r));
    for (size_t which = 0;; which++) {
        report_explanation *e = report_explain(r, which);
        if (!e) break;
        fprintf(f, "  <testsuite name=\"%s\" tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"0\">\n", e->op->id,
                e->cases, e->failed);
        fprintf(f, "    <properties><property name=\"precision\" value=\"%s", r->precision->name);
        report_roundoff(f, r);
        fputs("\"/></properties>\n", f);
        for (size_t i = 0; i < r->cases; i++)
            if (r->c[i].op == e->op) print_xml_case(f, r, &r->c[i]);
        fputs("  </testsuite>\n", f);
        report_explanation_free(e);
    }
    fputs("</testsuites>\n", f);
}

/* --- JSON ---------------------------------------------------------------------------------------------------- */

/* JSON has no NaN and no infinity: they travel as the strings "nan", "inf", "-inf". */
static json_t *number(double x)
{
    if (isnan(x)) return json_string("nan");
    if (isinf(x)) return json_string(x > 0 ? "inf" : "-inf");
    return json_real(x);
}

static json_t *count(size_t n) { return json_integer((json_int_t)n); }

static json_t *text_or_null(const char *s) { return s ? json_string(s) : json_null(); }

static json_t *worst_json(const verdict_tensor *t)
{
    if (!t->judged || t->kind == OP_DECISION || t->at >= t->count) return json_null();
    json_t *o = json_object(), *index = json_array();
    size_t e = t->at, at[OP_RANK];
    for (size_t i = t->rank; i-- > 0; e /= t->dim[i]) at[i] = e % t->dim[i];
    for (size_t i = 0; i < t->rank; i++) json_array_append_new(index, count(at[i]));
    json_object_set_new(o, "index", index);
    json_object_set_new(o, "got", number(t->got));
    json_object_set_new(o, "golden", number(t->golden));
    json_object_set_new(o, "bound", number(t->bound));
    return o;
}

static json_t *factors_json(unsigned mask)
{
    json_t *list = json_array();
    for (size_t i = 0; verdict_factor(i, NULL, NULL); i++)
        if (mask & 1U << i) json_array_append_new(list, json_string(verdict_factor(i, NULL, NULL)));
    return list;
}

static json_t *tensor_json(const verdict_tensor *t)
{
    json_t *o = json_object(), *shape = json_array();
    for (size_t i = 0; i < t->rank; i++) json_array_append_new(shape, count(t->dim[i]));
    json_object_set_new(o, "name", json_string(t->name));
    json_object_set_new(o, "kind", json_string(report_kind(t)));
    json_object_set_new(o, "pass", json_boolean(t->pass));
    json_object_set_new(o, "present", json_boolean(t->present));
    json_object_set_new(o, "judged", json_boolean(t->judged));
    json_object_set_new(o, "fault", text_or_null(t->fault));
    json_object_set_new(o, "shape", shape);
    json_object_set_new(o, "outside", count(t->outside));
    json_object_set_new(o, "vacuous", count(t->vacuous));
    json_object_set_new(o, "ratio", t->judged && t->kind != OP_DECISION ? number(t->ratio) : json_null());
    json_object_set_new(o, "worst", worst_json(t));
    json_object_set_new(o, "factors", factors_json(t->factors));
    return o;
}

static json_t *variant_json(const twin_variant *w)
{
    json_t *o = json_object();
    json_object_set_new(o, "class", json_string(w->name));
    json_object_set_new(o, "formula", json_string(w->formula));
    json_object_set_new(o, "effect", json_string(w->effect));
    json_object_set_new(o, "met", json_string(w->met));
    return o;
}

static json_t *case_json(const verdict_case *v)
{
    json_t *o = json_object(), *tensors = json_array(), *details = json_array(), *matches = json_array();
    json_t *decisions = json_object();
    for (size_t i = 0; i < v->tensors; i++) json_array_append_new(tensors, tensor_json(&v->t[i]));
    for (size_t i = 0; i < v->details; i++) json_array_append_new(details, json_string(v->detail[i]));
    for (size_t i = 0; i < v->matches; i++)
        if (v->match[i].tells) json_array_append_new(matches, variant_json(v->match[i].variant));
    json_object_set_new(decisions, "taken", count(v->tokens));
    json_object_set_new(decisions, "ambiguous", count(v->ambiguous));
    json_object_set_new(decisions, "other", count(v->differ));
    json_object_set_new(decisions, "inadmissible", count(v->inadmissible));
    json_object_set_new(o, "name", json_string(v->name));
    json_object_set_new(o, "op", json_string(v->op->id));
    json_object_set_new(o, "sizes", json_string(v->sizes));
    json_object_set_new(o, "parameters", json_string(v->parameters));
    json_object_set_new(o, "pass", json_boolean(v->pass));
    json_object_set_new(o, "fault", text_or_null(v->fault));
    json_object_set_new(o, "output", text_or_null(v->output));
    json_object_set_new(o, "decisions", decisions);
    json_object_set_new(o, "replayed", json_boolean(v->replayed));
    const verdict_tensor *t = first_departure(v);
    json_object_set_new(o, "first_to_depart", text_or_null(t ? t->name : NULL));
    json_object_set_new(o, "tensors", tensors);
    json_object_set_new(o, "details", details);
    json_object_set_new(o, "equals", matches);
    return o;
}

static json_t *part_json(const report_part *p)
{
    json_t *o = json_object(), *names = json_array();
    for (size_t i = 0; i < p->cases; i++) json_array_append_new(names, json_string(p->c[i]->name));
    json_object_set_new(o, "equals", p->variant ? variant_json(p->variant) : json_null());
    json_object_set_new(o, "cases", names);
    return o;
}

static json_t *operation_json(const report_explanation *e)
{
    json_t *o = json_object(), *variants = json_array(), *parts = json_array(), *factors = json_array();
    for (size_t i = 0; i < e->variants; i++) json_array_append_new(variants, variant_json(e->variant[i]));
    for (size_t i = 0; i < e->parts; i++) json_array_append_new(parts, part_json(&e->part[i]));
    for (size_t i = 0; i < e->factors; i++) {
        if (e->factor[i].mask == 0) continue;
        json_t *x = json_object();
        json_object_set_new(x, "tensor", json_string(e->factor[i].tensor));
        json_object_set_new(x, "factors", factors_json(e->factor[i].mask));
        json_array_append_new(factors, x);
    }
    json_object_set_new(o, "op", json_string(e->op->id));
    json_object_set_new(o, "cases", count(e->cases));
    json_object_set_new(o, "failed", count(e->failed));
    json_object_set_new(o, "equals", variants);
    json_object_set_new(o, "parts", parts);
    json_object_set_new(o, "factors", factors);
    return o;
}

static json_t *power_json(const report *r)
{
    json_t *list = json_array();
    for (size_t which = 0; report_operation(r, which); which++)
        for (size_t i = 0; twin_variants[i].op; i++) {
            if (strcmp(twin_variants[i].op, report_operation(r, which)->id) != 0) continue;
            json_t *o = json_object();
            json_object_set_new(o, "op", json_string(twin_variants[i].op));
            json_object_set_new(o, "class", json_string(twin_variants[i].name));
            json_object_set_new(o, "exposed", json_boolean(r->exposed[i]));
            json_object_set_new(o, "invisible", text_or_null(why_invisible(&twin_variants[i], r->precision)));
            json_array_append_new(list, o);
        }
    return list;
}

static json_t *roundoff_json(const twin_profile *p)
{
    json_t *o = json_pack("{s:s, s:s, s:f}", "storage", p->storage.name, "arithmetic", p->arithmetic.name,
                          "elementary_ulp", p->elementary_ulp);
    json_t *tensors = json_object();
    for (const twin_profile *t = p->tensor; t && t->name; t++) json_object_set_new(tensors, t->name, roundoff_json(t));
    if (p->tensor)
        json_object_set_new(o, "tensors", tensors);
    else
        json_decref(tensors);
    return o;
}

static void print_json(FILE *f, const report *r)
{
    json_t *o = json_object(), *cases = json_array(), *operations = json_array();
    for (size_t i = 0; i < r->cases; i++) json_array_append_new(cases, case_json(&r->c[i]));
    for (size_t i = 0;; i++) {
        report_explanation *e = report_explain(r, i);
        if (!e) break;
        json_array_append_new(operations, operation_json(e));
        report_explanation_free(e);
    }
    json_object_set_new(o, "smoeref", json_string(r->version));
    json_object_set_new(o, "suite", json_string(r->suite));
    json_object_set_new(o, "seed", json_integer((json_int_t)r->seed));
    json_object_set_new(o, "seeds", json_integer((json_int_t)r->seeds));
    json_object_set_new(o, "forward", json_boolean(r->forward));
    json_object_set_new(o, "precision", json_string(r->precision->name));
    json_object_set_new(o, "roundoff", roundoff_json(r->precision));
    json_object_set_new(o, "passed", count(r->cases - report_failed(r)));
    json_object_set_new(o, "failed", count(report_failed(r)));
    json_object_set_new(o, "operations", operations);
    json_object_set_new(o, "cases", cases);
    json_object_set_new(o, "power", r->exposed ? power_json(r) : json_null());
    char *text = json_dumps(o, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    if (text) fprintf(f, "%s\n", text);
    free(text);
    json_decref(o);
}

/* --- all of them --------------------------------------------------------------------------------------------- */

bool report_format_of(const char *path, report_format *f)
{
    static const char *const extension[] = {".txt", ".tap", ".json", ".xml", ".html"};
    const size_t n = strlen(path);
    for (int i = 0; i < 5; i++) {
        const size_t m = strlen(extension[i]);
        if (n <= m || strcmp(path + n - m, extension[i]) != 0) continue;
        *f = (report_format)i;
        return true;
    }
    return false;
}

char *report_render(const report *r, report_format format, size_t *n)
{
    char *text;
    FILE *f = verdict_stream(&text, n);
    switch (format) {
    case REPORT_TEXT:
        report_print(f, r, false, false);
        break;
    case REPORT_TAP:
        print_tap(f, r);
        break;
    case REPORT_JSON:
        print_json(f, r);
        break;
    case REPORT_XML:
        print_xml(f, r);
        break;
    case REPORT_HTML:
        report_print_html(f, r);
        break;
    }
    verdict_stream_end(f, &text);
    return text;
}
