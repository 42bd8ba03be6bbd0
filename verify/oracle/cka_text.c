/* The table, JSON and CSV of `smoeref cka` (see cka.h). */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cka.h"
#include "cmd.h"

/* --- in words ----------------------------------------------------------------------------------------------------- */

const char *cka_kernel_text(const similarity_request *q, char text[CKA_TEXT])
{
    const smoe_similarity *how = &q->how;
    if (how->kernel == SMOE_KERNEL_LINEAR)
        snprintf(text, CKA_TEXT, "linear kernel");
    else if (how->bandwidth == SMOE_BANDWIDTH_ABSOLUTE)
        snprintf(text, CKA_TEXT, "RBF kernel of sigma %g", how->sigma);
    else
        snprintf(text, CKA_TEXT, "RBF kernel of sigma %g times the %s (%s the diagonal, %s)", how->sigma,
                 how->median == SMOE_MEDIAN_DISTANCE ? "median distance" : "root of the median squared distance",
                 how->diagonal == SMOE_DIAGONAL_WITH ? "with" : "without",
                 how->middle == SMOE_MIDDLE_MEAN ? "mean of the two middles" : "lower of the two middles");
    return text;
}

const char *cka_estimator_name(const similarity_request *q)
{
    if (q->minibatch) return "minibatch";
    return q->how.estimator == SMOE_HSIC_BIASED     ? "biased"
           : q->how.estimator == SMOE_HSIC_UNBIASED ? "unbiased"
                                                    : "debiased";
}

const char *cka_estimator_text(const cka_report *c, char text[CKA_TEXT])
{
    if (c->q->minibatch)
        snprintf(text, CKA_TEXT, "minibatch estimator (%zu batches of %zu)", c->r->batches, c->r->batch);
    else
        snprintf(text, CKA_TEXT, "%s estimator", cka_estimator_name(c->q));
    return text;
}

/* --- the table ---------------------------------------------------------------------------------------------------- */

static int number_width(size_t n)
{
    int width = 1;
    for (; n > 9; n /= 10) width++;
    return width;
}

/* A name out of a file, without what a terminal would obey. */
static void print_name(FILE *f, const char *name)
{
    char q[TENSOR_QUOTED];
    tensor_quote(q, name);
    fprintf(f, "%.*s", (int)strlen(q) - 2, q + 1);
}

static void print_names(FILE *f, const cka_report *c)
{
    const int width = number_width(c->r->R - 1);
    for (size_t i = 0; i < c->r->R; i++) {
        const dump_matrix *m = &c->d->matrix[i];
        fprintf(f, "  %*zu  ", width, i);
        print_name(f, m->label);
        fprintf(f, "  [%zu,%zu] %s", m->n, m->p, tensor_dtype_name(m->dtype));
        if (c->d->sources > 1) {
            fprintf(f, "  ");
            print_name(f, m->path);
        }
        fputc('\n', f);
    }
    for (size_t i = 0; i < c->d->left_out; i++) fprintf(f, "  left out: %s\n", c->d->left[i]);
}

/* Four digits without a sign at a zero that they make. */
static double shown(double v) { return v < 0 && v > -0.00005 ? 0.0 : v; }

static void print_heading(FILE *f, size_t R, int left, int width)
{
    fprintf(f, "%*s", left, "");
    for (size_t j = 0; j < R; j++) fprintf(f, " %*zu", width, j);
    fputc('\n', f);
}

static void print_similarities(FILE *f, const cka_report *c)
{
    const size_t R = c->r->R;
    const int left = number_width(R - 1) + 2, width = 7;
    print_heading(f, R, left, width);
    for (size_t i = 0; i < R; i++) {
        fprintf(f, "%*zu", left, i);
        for (size_t j = 0; j < R; j++) fprintf(f, " %*.4f", width, shown(c->r->cka[i * R + j]));
        fputc('\n', f);
    }
}

static void print_summary(FILE *f, const cka_report *c)
{
    const size_t R = c->r->R;
    size_t least = 1, most = 1; /* as elements of the matrix */
    double sum = 0;
    for (size_t i = 0; i < R; i++)
        for (size_t j = i + 1; j < R; j++) {
            const double v = c->r->cka[i * R + j];
            sum += v;
            if (v < c->r->cka[least]) least = i * R + j;
            if (v > c->r->cka[most]) most = i * R + j;
        }
    if (R < 2) return;
    fprintf(f, "Of different ones: mean %.4f, least %.4f (%zu and %zu), greatest %.4f (%zu and %zu).\n",
            shown(sum / ((double)R * (double)(R - 1) / 2)), shown(c->r->cka[least]), least / R, least % R,
            shown(c->r->cka[most]), most / R, most % R);
}

static void print_intervals(FILE *f, const cka_report *c)
{
    const size_t R = c->r->R;
    const int width = number_width(R - 1) + 2;
    fprintf(f, "\n%g %% intervals: %zu replicates of %zu batches of %zu rows, seed %llu\n", 100 * c->q->level,
            c->q->replicates, c->r->batches, c->r->batch, (unsigned long long)c->q->seed);
    for (size_t i = 0; i < R; i++)
        for (size_t j = i + 1; j < R; j++)
            fprintf(f, "%*zu %*zu %8.4f  [%.4f, %.4f]\n", width, i, width, j, shown(c->r->cka[i * R + j]),
                    shown(c->r->lower[i * R + j]), shown(c->r->upper[i * R + j]));
}

static void print_shared(FILE *f, const cka_report *c)
{
    const size_t R = c->r->R;
    const int left = number_width(R - 1) + 2, digits = number_width(c->routing->T), width = digits < 7 ? 7 : digits;
    fprintf(f, "\nShared samples: how many of %zu chose both (on the diagonal, the one), top-%zu routing in ",
            c->routing->T, c->routing->K);
    print_name(f, c->routing->path);
    fputc('\n', f);
    print_heading(f, R, left, width);
    for (size_t i = 0; i < R; i++) {
        fprintf(f, "%*zu", left, i);
        for (size_t j = 0; j < R; j++) fprintf(f, " %*zu", width, c->routing->shared[i * R + j]);
        fputc('\n', f);
    }
}

void cka_print_table(FILE *f, const cka_report *c)
{
    char kernel[CKA_TEXT], estimator[CKA_TEXT];
    fprintf(f, "CKA of %zu representations: %s, %s, %zu samples", c->r->R, cka_kernel_text(c->q, kernel),
            cka_estimator_text(c, estimator), c->r->n);
    if (!c->q->minibatch) fprintf(f, ", by %s", c->r->by_features ? "moments of features" : "Gram matrices");
    if (c->q->minibatch && c->r->batch * c->r->batches < c->r->n)
        fprintf(f, " (the last %zu in no batch)", c->r->n - c->r->batch * c->r->batches);
    const size_t least = (c->q->minibatch ? 0U : 1U) + (c->r->batches ? 1U : 0U);
    if (c->r->passes > least) fprintf(f, ", in %zu passes", c->r->passes);
    fputc('\n', f);
    print_names(f, c);
    fputc('\n', f);
    print_similarities(f, c);
    print_summary(f, c);
    if (c->r->lower) print_intervals(f, c);
    if (c->routing) print_shared(f, c);
}

/* --- CSV ---------------------------------------------------------------------------------------------------------- */

static void print_field(FILE *f, const char *text)
{
    fputc('"', f);
    for (; *text; text++) {
        if (*text == '"') fputc('"', f);
        fputc(*text, f);
    }
    fputc('"', f);
}

void cka_print_csv(FILE *f, const cka_report *c)
{
    const size_t R = c->r->R;
    fprintf(f, "i,j,a,b,cka%s%s\r\n", c->r->lower ? ",lower,upper" : "", c->routing ? ",shared" : "");
    for (size_t i = 0; i < R; i++)
        for (size_t j = i; j < R; j++) {
            const size_t k = i * R + j;
            fprintf(f, "%zu,%zu,", i, j);
            print_field(f, c->d->matrix[i].label);
            fputc(',', f);
            print_field(f, c->d->matrix[j].label);
            fprintf(f, ",%.17g", c->r->cka[k]);
            if (c->r->lower) fprintf(f, ",%.17g,%.17g", c->r->lower[k], c->r->upper[k]);
            if (c->routing) fprintf(f, ",%zu", c->routing->shared[k]);
            fputs("\r\n", f);
        }
}

/* --- JSON --------------------------------------------------------------------------------------------------------- */

/* A name that may not be UTF-8: then as tensor_quote() shows it. */
static json_t *name_to_json(const char *name)
{
    char q[TENSOR_QUOTED];
    json_t *j = json_string(name);
    if (j) return j;
    tensor_quote(q, name);
    q[strlen(q) - 1] = '\0';
    return json_string(q + 1);
}

static json_t *number(double x) { return json_real(x); }

static json_t *count(size_t n) { return json_integer((json_int_t)n); }

static json_t *matrix_to_json(size_t R, const double *a)
{
    if (!a) return json_null();
    json_t *rows = json_array();
    for (size_t i = 0; i < R; i++) {
        json_t *row = json_array();
        for (size_t j = 0; j < R; j++) json_array_append_new(row, number(a[i * R + j]));
        json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *counts_to_json(size_t R, const size_t *a)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < R; i++) {
        json_t *row = json_array();
        for (size_t j = 0; j < R; j++) json_array_append_new(row, count(a[i * R + j]));
        json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *kernel_to_json(const similarity_request *q)
{
    const smoe_similarity *how = &q->how;
    const bool rbf = how->kernel == SMOE_KERNEL_RBF, median = rbf && how->bandwidth == SMOE_BANDWIDTH_MEDIAN;
    json_t *j = json_object();
    json_object_set_new(j, "name", json_string(rbf ? "rbf" : "linear"));
    json_object_set_new(j, "sigma", rbf ? number(how->sigma) : json_null());
    json_object_set_new(j, "bandwidth", rbf ? json_string(median ? "median" : "absolute") : json_null());
    json_object_set_new(j, "diagonal",
                        median ? json_string(how->diagonal == SMOE_DIAGONAL_WITH ? "with" : "without") : json_null());
    json_object_set_new(j, "middle",
                        median ? json_string(how->middle == SMOE_MIDDLE_MEAN ? "mean" : "lower") : json_null());
    json_object_set_new(
        j, "median", median ? json_string(how->median == SMOE_MEDIAN_DISTANCE ? "distance" : "square") : json_null());
    return j;
}

static json_t *representations_to_json(const dump *d)
{
    json_t *all = json_array();
    for (size_t i = 0; i < d->matrices; i++) {
        const dump_matrix *m = &d->matrix[i];
        json_t *j = json_object();
        json_object_set_new(j, "label", name_to_json(m->label));
        json_object_set_new(j, "file", name_to_json(m->path));
        json_object_set_new(j, "tensor", name_to_json(m->tensor));
        json_object_set_new(j, "index", m->indexed ? count(m->index) : json_null());
        json_object_set_new(j, "dtype", json_string(tensor_dtype_name(m->dtype)));
        json_object_set_new(j, "features", count(m->p));
        json_array_append_new(all, j);
    }
    return all;
}

static json_t *bootstrap_to_json(const cka_report *c)
{
    if (!c->r->lower) return json_null();
    json_t *j = json_object();
    json_object_set_new(j, "replicates", count(c->q->replicates));
    json_object_set_new(j, "level", number(c->q->level));
    json_object_set_new(j, "seed", json_integer((json_int_t)c->q->seed));
    json_object_set_new(j, "lower", matrix_to_json(c->r->R, c->r->lower));
    json_object_set_new(j, "upper", matrix_to_json(c->r->R, c->r->upper));
    return j;
}

static json_t *routing_to_json(const cka_report *c)
{
    if (!c->routing) return json_null();
    json_t *j = json_object();
    json_object_set_new(j, "file", name_to_json(c->routing->path));
    json_object_set_new(j, "tensor", name_to_json(c->routing->tensor));
    json_object_set_new(j, "selected", count(c->routing->K));
    json_object_set_new(j, "shared", counts_to_json(c->r->R, c->routing->shared));
    return j;
}

char *cka_json(const cka_report *c)
{
    const similarity_result *r = c->r;
    json_t *j = json_object(), *left = json_array();
    json_object_set_new(j, "smoeref", json_string(cli_version));
    json_object_set_new(j, "kernel", kernel_to_json(c->q));
    json_object_set_new(j, "estimator", json_string(cka_estimator_name(c->q)));
    json_object_set_new(j, "route",
                        c->q->minibatch ? json_string("batches") : json_string(r->by_features ? "features" : "gram"));
    json_object_set_new(j, "samples", count(r->n));
    json_object_set_new(j, "batch", r->batches ? count(r->batch) : json_null());
    json_object_set_new(j, "batches", r->batches ? count(r->batches) : json_null());
    json_object_set_new(j, "representations", representations_to_json(c->d));
    for (size_t i = 0; i < c->d->left_out; i++) json_array_append_new(left, name_to_json(c->d->left[i]));
    json_object_set_new(j, "left_out", left);
    json_object_set_new(j, "cka", matrix_to_json(r->R, r->cka));
    json_object_set_new(j, "bootstrap", bootstrap_to_json(c));
    json_object_set_new(j, "routing", routing_to_json(c));
    char *text = json_dumps(j, JSON_INDENT(1) | JSON_REAL_PRECISION(17)), *line = NULL;
    if (text && asprintf(&line, "%s\n", text) < 0) line = NULL;
    free(text);
    json_decref(j);
    return line;
}
