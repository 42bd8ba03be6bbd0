/* Roundoffs that are said apart from the precision.  See roundoff.h. */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif

#include "roundoff.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int unknown_format(const char *what, const char *text, char *err, size_t errlen)
{
    size_t at = (size_t)snprintf(err, errlen, "%s is '%.40s', expected one of ", what, text);
    for (size_t i = 0; twin_profiles[i].name && at < errlen; i++)
        at += (size_t)snprintf(err + at, errlen - at, "%s%s", i ? ", " : "", twin_profiles[i].name);
    return -1;
}

int roundoff_arithmetic(roundoff *r, const char *text, char *err, size_t errlen)
{
    r->arithmetic = twin_profile_find(text);
    return r->arithmetic ? 0 : unknown_format("the arithmetic", text, err, errlen);
}

/* "4ulp", "0.5ulp" */
static bool is_ulp(const char *text, double *ulp)
{
    char *end;
    if (!((*text >= '0' && *text <= '9') || *text == '.') || strpbrk(text, "xX")) return false;
    *ulp = strtod(text, &end);
    return strcmp(end, "ulp") == 0 && *ulp >= 0.5 && *ulp <= 0x1p30;
}

int roundoff_elementary(roundoff *r, const char *text, char *err, size_t errlen)
{
    if (is_ulp(text, &r->elementary_ulp)) return 0;
    snprintf(err, errlen, "the elementary functions are within '%.40s', expected such as 4ulp, at least 0.5ulp", text);
    return -1;
}

/* The bounds are of first order with a margin for the second, which is wide enough up to here: 1/16 relatively. */
static int check_elementary(const twin_profile *p, const char *of, char *err, size_t errlen)
{
    if (2 * p->elementary_ulp * ldexp(1, -p->arithmetic.digits) <= 1.0 / 16) return 0;
    snprintf(err, errlen, "elementary functions within %g ulp of %s%s%s: at most %g ulp can be bounded",
             p->elementary_ulp, p->arithmetic.name, *of ? ", of tensor " : "", of, ldexp(1, p->arithmetic.digits - 5));
    return -1;
}

/* P[+A][+Nulp] */
static int read_tensor(const char *name, const char *text, twin_profile *p, char *err, size_t errlen)
{
    char copy[64], *rest = NULL;
    if (strlen(text) >= sizeof copy) return unknown_format("the storage", text, err, errlen);
    strcpy(copy, text);
    const char *word = strtok_r(copy, "+", &rest);
    const twin_profile *storage = twin_profile_find(word ? word : "");
    if (!storage || *text == '+') return unknown_format("the storage", text, err, errlen);
    *p = *storage;
    bool has_arithmetic = false, has_ulp = false;
    while ((word = strtok_r(NULL, "+", &rest))) {
        const twin_profile *arithmetic = has_arithmetic || has_ulp ? NULL : twin_profile_find(word);
        if (arithmetic) {
            /* a name alone stands for a precision; here its storage is what one computes in */
            p->arithmetic = arithmetic->storage;
            has_arithmetic = true;
        } else if (!has_ulp && is_ulp(word, &p->elementary_ulp)) {
            has_ulp = true;
        } else {
            snprintf(err, errlen, "tensor %s has '%s', expected P, P+A, P+Nulp or P+A+Nulp", name, text);
            return -1;
        }
    }
    p->name = NULL; /* the caller knows where the name stays */
    p->apart = true;
    return check_elementary(p, name, err, errlen);
}

int roundoff_tensor(roundoff *r, const char *text, char *err, size_t errlen)
{
    const char *equals = strchr(text, '=');
    const size_t n = equals ? (size_t)(equals - text) : 0;
    char name[ROUNDOFF_NAME];
    twin_profile p;
    if (n == 0 || n >= ROUNDOFF_NAME || !equals[1]) {
        snprintf(err, errlen, "tensor is '%.80s', expected NAME=P, NAME=P+A, NAME=P+Nulp or NAME=P+A+Nulp", text);
        return -1;
    }
    snprintf(name, sizeof name, "%.*s", (int)n, text);
    if (read_tensor(name, equals + 1, &p, err, errlen) != 0) return -1;
    for (size_t i = 0; i < r->tensors; i++)
        if (strcmp(r->name[i], name) == 0) {
            snprintf(err, errlen, "tensor %s has its roundoffs twice", name);
            return -1;
        }
    if (r->tensors == ROUNDOFF_TENSORS) {
        snprintf(err, errlen, "more than %d tensors have roundoffs of their own", (int)ROUNDOFF_TENSORS);
        return -1;
    }
    memcpy(r->name[r->tensors], name, sizeof name);
    r->tensor[r->tensors++] = p;
    return 0;
}

void roundoff_merge(roundoff *r, const roundoff *other)
{
    if (!r->arithmetic) r->arithmetic = other->arithmetic;
    if (r->elementary_ulp == 0) r->elementary_ulp = other->elementary_ulp;
    const size_t mine = r->tensors;
    for (size_t i = 0; i < other->tensors; i++) {
        bool said = false;
        for (size_t j = 0; j < mine && !said; j++) said = strcmp(r->name[j], other->name[i]) == 0;
        if (said || r->tensors == ROUNDOFF_TENSORS) continue;
        memcpy(r->name[r->tensors], other->name[i], ROUNDOFF_NAME);
        r->tensor[r->tensors++] = other->tensor[i];
    }
}

static bool has_tensor(const op_record *op, const char *name)
{
    const bool gradient = strncmp(name, "d_", 2) == 0;
    for (const op_tensor *list = op->in; list; list = list == op->in ? op->out : NULL)
        for (const op_tensor *t = list; t->name; t++) {
            const bool rounded = !(t->flags & OP_I64) || t->kind == OP_DECISION; /* whose scores are */
            if (rounded && strcmp(name, t->name) == 0) return true;
            if (gradient && (t->flags & OP_DIFF) && strcmp(name + 2, t->name) == 0) return true;
        }
    return false;
}

const char *roundoff_stranger(const roundoff *r, const op_record *const *ops)
{
    for (size_t i = 0; i < r->tensors; i++) {
        bool known = false;
        for (size_t k = 0; ops[k] && !known; k++) known = has_tensor(ops[k], r->name[i]);
        if (!known) return r->name[i];
    }
    return NULL;
}

int roundoff_profile(roundoff *r, const twin_profile *precision, twin_profile *p, char *err, size_t errlen)
{
    *p = *precision;
    for (size_t i = 0; i < r->tensors; i++) r->tensor[i].name = r->name[i];
    r->tensor[r->tensors].name = NULL;
    if (r->arithmetic) p->arithmetic = r->arithmetic->storage;
    if (r->elementary_ulp > 0) p->elementary_ulp = r->elementary_ulp;
    p->apart = strcmp(p->arithmetic.name, precision->arithmetic.name) != 0 ||
               p->elementary_ulp != precision->elementary_ulp || r->tensors > 0;
    p->tensor = r->tensors > 0 ? r->tensor : NULL;
    return check_elementary(p, "", err, errlen);
}

static void print_roundoff(FILE *f, const twin_profile *p)
{
    fprintf(f, "storage %s, arithmetic %s, elementary functions within %g ulp", p->storage.name, p->arithmetic.name,
            p->elementary_ulp);
}

char *roundoff_text(const twin_profile *p)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f) return NULL;
    print_roundoff(f, p);
    for (const twin_profile *t = p->tensor; t && t->name; t++) {
        fprintf(f, "; %s: ", t->name);
        print_roundoff(f, t);
    }
    fclose(f);
    return text;
}
