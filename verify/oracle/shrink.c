/* See shrink.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shrink.h"
#include "verdict_parts.h"

/* --- another case with what is left of the values ---------------------------------------------------------------- */

/* The elements that both have, in their places. */
static void copy_corner(const op_value *from, op_value *to)
{
    for (size_t e = 0; e < to->count; e++) {
        size_t at = 0, stride = 1, rest = e;
        bool inside = true;
        for (size_t a = to->rank; a-- > 0;) {
            const size_t i = rest % to->dim[a];
            rest /= to->dim[a];
            inside &= i < from->dim[a];
            at += i * stride;
            stride *= from->dim[a];
        }
        if (!inside) continue;
        if (to->f64) to->f64[e] = from->f64[at];
        if (to->i64) to->i64[e] = from->i64[at];
    }
}

op_case *shrink_to(const op_case *c, const size_t *size, const double *number, const char *const *choice)
{
    char err[300];
    op_case *s = op_case_like(c, size, number, choice, err, sizeof err);
    for (size_t i = 0; s && i < OP_TENSORS; i++) {
        if (c->in[i].rank == s->in[i].rank) copy_corner(&c->in[i], &s->in[i]);
        if (c->cot[i].f64 && s->cot[i].f64) copy_corner(&c->cot[i], &s->cot[i]);
    }
    return s;
}

static op_case *copy_of(const op_case *c) { return shrink_to(c, c->dim_size, c->number, c->choice); }

/* --- the steps --------------------------------------------------------------------------------------------------- */

/* Adds the case, if there is one and the reference takes it. */
static void add(shrink_list *l, op_case *c, char *what)
{
    if (!c || op_run(c) != SMOE_OK) {
        op_case_free(c);
        free(what);
        return;
    }
    shrink_step *grown = realloc(l->step, (l->steps + 1) * sizeof *grown);
    if (!grown) verdict_out_of_memory();
    l->step = grown;
    l->step[l->steps++] = (shrink_step){c, what};
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Every size at most `most`, and with it the parameter k. */
static void add_all_sizes(const op_case *c, shrink_list *l, size_t most)
{
    size_t size[OP_DIMS];
    double number[OP_PARAMS];
    bool smaller = false;
    memcpy(number, c->number, sizeof number);
    for (size_t i = 0; i < c->dims; i++) {
        size[i] = least(c->dim_size[i], most);
        smaller |= size[i] < c->dim_size[i] && op_size_given(c->op, c->dim_name[i]);
    }
    for (size_t i = 0; c->op->param && c->op->param[i].name; i++)
        if (strcmp(c->op->param[i].name, "k") == 0 && number[i] > (double)most) number[i] = (double)most;
    if (smaller) add(l, shrink_to(c, size, number, c->choice), verdict_say("every size at most %zu", most));
}

static void add_size(const op_case *c, shrink_list *l, size_t which, size_t to)
{
    size_t size[OP_DIMS];
    memcpy(size, c->dim_size, sizeof size);
    size[which] = to;
    add(l, shrink_to(c, size, c->number, c->choice), verdict_say("%c=%zu", c->dim_name[which], to));
}

static void add_sizes(const op_case *c, shrink_list *l)
{
    for (size_t i = 0; i < c->dims; i++) {
        const size_t n = c->dim_size[i];
        if (!op_size_given(c->op, c->dim_name[i])) continue;
        if (n > 1) add_size(c, l, i, 1);
        if (n > 3) add_size(c, l, i, n / 2);
        if (n > 2) add_size(c, l, i, n - 1);
    }
}

static void add_number(const op_case *c, shrink_list *l, size_t which, double to)
{
    double number[OP_PARAMS];
    if (!(to < c->number[which] || to > c->number[which])) return;
    memcpy(number, c->number, sizeof number);
    number[which] = to;
    add(l, shrink_to(c, c->dim_size, number, c->choice), verdict_say("%s=%.17g", c->op->param[which].name, to));
}

/* The default of a choice is the first of its values. */
static void add_choice(const op_case *c, shrink_list *l, size_t which)
{
    const char *values = c->op->param[which].values, *choice[OP_PARAMS];
    char first[80];
    snprintf(first, sizeof first, "%.*s", (int)strcspn(values, "|"), values);
    if (strcmp(first, c->choice[which]) == 0) return;
    memcpy(choice, c->choice, sizeof choice);
    choice[which] = first;
    add(l, shrink_to(c, c->dim_size, c->number, choice), verdict_say("%s=%s", c->op->param[which].name, first));
}

static void add_parameters(const op_case *c, shrink_list *l)
{
    const op_param *p = c->op->param;
    for (size_t i = 0; p && p[i].name; i++) {
        if (p[i].type == OP_CHOICE) {
            add_choice(c, l, i);
            continue;
        }
        const double usual = strtod(p[i].values, NULL);
        if (p[i].type == OP_REAL || usual < c->number[i]) add_number(c, l, i, usual);
        if (p[i].type == OP_INT && c->number[i] > 1) add_number(c, l, i, 1);
        if (p[i].type == OP_INT && c->number[i] > 2) add_number(c, l, i, c->number[i] - 1);
    }
}

static bool is_zero(double x) { return !(x < 0 || x > 0); }
static double zero(double x)
{
    (void)x;
    return 0;
}
static double always_one(double x)
{
    (void)x;
    return 1;
}
static double one(double x) { return is_zero(x) ? 0 : 1; }
static double whole(double x) { return fabs(x) < 1 && !is_zero(x) ? copysign(1, x) : nearbyint(x); }
static double quarter(double x) { return nearbyint(4 * x) / 4; }

/* The tensor with every element simplified, if that changes one. */
static void add_simpler(const op_case *c, shrink_list *l, bool cotangent, size_t which, double simpler(double),
                        const char *how)
{
    op_case *s = copy_of(c);
    op_value *v = s ? (cotangent ? &s->cot[which] : &s->in[which]) : NULL;
    bool changed = false;
    for (size_t e = 0; v && e < v->count; e++) {
        const double x = simpler(v->f64[e]);
        changed |= x < v->f64[e] || x > v->f64[e];
        v->f64[e] = x;
    }
    if (changed) {
        add(l, s, verdict_say("%s%s %s", cotangent ? "d_" : "", (cotangent ? c->op->out : c->op->in)[which].name, how));
        return;
    }
    op_case_free(s);
}

static void add_values_of(const op_case *c, shrink_list *l, bool cotangent, size_t which)
{
    const op_value *v = cotangent ? &c->cot[which] : &c->in[which];
    if (!v->f64 || v->count == 0) return;
    if (!cotangent && (c->op->in[which].flags & OP_OPTIONAL)) { /* as if it were not there */
        add_simpler(c, l, cotangent, which, always_one, "ones");
        return;
    }
    add_simpler(c, l, cotangent, which, zero, "zeros");
    add_simpler(c, l, cotangent, which, one, "ones");
    add_simpler(c, l, cotangent, which, whole, "whole numbers");
    add_simpler(c, l, cotangent, which, quarter, "quarters");
}

enum { FEW = 24 };

/* One element after the other 0. */
static void add_elements_of(const op_case *c, shrink_list *l, bool cotangent, size_t which)
{
    const op_value *v = cotangent ? &c->cot[which] : &c->in[which];
    for (size_t e = 0; v->f64 && v->count > 1 && v->count <= FEW && e < v->count; e++) {
        op_case *s = is_zero(v->f64[e]) ? NULL : copy_of(c);
        if (!s) continue;
        (cotangent ? s->cot : s->in)[which].f64[e] = 0;
        add(l, s,
            verdict_say("element %zu of %s%s 0", e, cotangent ? "d_" : "",
                        (cotangent ? c->op->out : c->op->in)[which].name));
    }
}

shrink_list shrink_propose(const op_case *c)
{
    shrink_list l = {0, NULL};
    for (size_t most = 1; most <= 4; most++) add_all_sizes(c, &l, most);
    add_sizes(c, &l);
    add_parameters(c, &l);
    for (size_t i = 0; c->op->out[i].name; i++) add_values_of(c, &l, true, i);
    for (size_t i = 0; c->op->in[i].name; i++) add_values_of(c, &l, false, i);
    for (size_t i = 0; c->op->out[i].name; i++) add_elements_of(c, &l, true, i);
    for (size_t i = 0; c->op->in[i].name; i++)
        if (!(c->op->in[i].flags & OP_OPTIONAL)) add_elements_of(c, &l, false, i);
    return l;
}

void shrink_list_clear(shrink_list *l)
{
    for (size_t i = 0; i < l->steps; i++) {
        op_case_free(l->step[i].c);
        free(l->step[i].what);
    }
    free(l->step);
    *l = (shrink_list){0, NULL};
}

/* --- the failure, and the case in words -------------------------------------------------------------------------- */

bool shrink_fails_alike(const verdict_case *large, const verdict_case *small)
{
    if (small->pass || small->fault || (small->ties > 0 && large->ties == 0)) return false;
    for (size_t i = 0; i < large->tensors; i++)
        for (size_t k = 0; k < small->tensors && large->t[i].judged && !large->t[i].pass; k++)
            if (small->t[k].judged && !small->t[k].pass && strcmp(small->t[k].name, large->t[i].name) == 0) return true;
    return false;
}

static void print_values(FILE *f, const char *prefix, const char *name, const op_value *v)
{
    enum { SHOWN = 16 };
    fprintf(f, "\n    %s%s", prefix, name);
    for (size_t a = 0; a < v->rank; a++) fprintf(f, "%s%zu", a ? "," : " [", v->dim[a]);
    fprintf(f, "%s =", v->rank ? "]" : "");
    for (size_t e = 0; e < v->count && e < SHOWN; e++)
        if (v->i64)
            fprintf(f, " %lld", (long long)v->i64[e]);
        else
            fprintf(f, " %.17g", v->f64[e]);
    if (v->count > SHOWN) fputs(" ...", f);
}

static bool all_one(const op_value *v)
{
    for (size_t e = 0; e < v->count; e++)
        if (v->f64[e] < 1 || v->f64[e] > 1) return false;
    return true;
}

static bool all_zero(const op_value *v)
{
    for (size_t e = 0; e < v->count; e++)
        if (!is_zero(v->f64[e])) return false;
    return true;
}

static void print_parameters(FILE *f, const op_case *c)
{
    const op_param *p = c->op->param;
    for (size_t i = 0; p && p[i].name; i++) {
        const size_t n = strcspn(p[i].values, "|");
        if (p[i].type != OP_CHOICE) {
            const double usual = strtod(p[i].values, NULL);
            if (c->number[i] < usual || c->number[i] > usual) fprintf(f, " %s=%.17g", p[i].name, c->number[i]);
        } else if (strncmp(p[i].values, c->choice[i], n) != 0 || c->choice[i][n] != '\0')
            fprintf(f, " %s=%s", p[i].name, c->choice[i]);
    }
}

char *shrink_text(const op_case *c)
{
    char *text;
    size_t n;
    FILE *f = verdict_stream(&text, &n);
    for (size_t i = 0; i < c->dims; i++)
        if (op_size_given(c->op, c->dim_name[i])) fprintf(f, "%s%c=%zu", i ? " " : "", c->dim_name[i], c->dim_size[i]);
    print_parameters(f, c);
    for (size_t i = 0; c->op->in[i].name; i++)
        if (!(c->op->in[i].flags & OP_OPTIONAL) || !c->in[i].f64 || !all_one(&c->in[i]))
            print_values(f, "", c->op->in[i].name, &c->in[i]);
    for (size_t i = 0; c->op->out[i].name; i++)
        if (c->cot[i].f64 && !all_zero(&c->cot[i])) print_values(f, "d_", c->op->out[i].name, &c->cot[i]);
    verdict_stream_end(f, &text);
    return text;
}
