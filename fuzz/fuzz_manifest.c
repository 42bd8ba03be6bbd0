/* The manifest reader, and the readers of parameters, on arbitrary bytes; what is accepted is written and read
 * again. */
#include "fuzz.h"
#include "manifest.h"

static bool same_blocks(const char *a, const char *b) { return a && b ? strcmp(a, b) == 0 : a == b; }

static void compare(const manifest *a, const manifest *b)
{
    if (a->cases != b->cases || a->seed != b->seed || strcmp(a->suite, b->suite) != 0 ||
        strcmp(a->smoeref, b->smoeref) != 0)
        FINDING("another manifest after a round trip");
    for (size_t i = 0; i < a->cases; i++) {
        const manifest_case *c = &a->c[i], *d = &b->c[i];
        if (strcmp(c->name, d->name) != 0 || strcmp(c->op, d->op) != 0 || strcmp(c->parameters, d->parameters) != 0 ||
            c->flags != d->flags || strcmp(c->prompt_sha256, d->prompt_sha256) != 0 ||
            strcmp(c->expected_sha256, d->expected_sha256) != 0 || !same_blocks(c->prompt_blocks, d->prompt_blocks) ||
            !same_blocks(c->expected_blocks, d->expected_blocks))
            FINDING("another case after a round trip");
        for (size_t j = 0; j < c->flags; j++)
            if (!manifest_has_flag(d, c->flag[j])) FINDING("a flag was lost in a round trip");
        if (!manifest_name_ok(c->name) || strchr(c->name, '/') != NULL || c->name[0] == '.')
            FINDING("a name that is no plain file stem");
    }
}

static char *to_set(const char *json)
{
    char err[TENSOR_ERROR], *out;
    if (manifest_parameters_to_set("f", json, &out, err, sizeof err) != 0) FINDING("%s", err);
    return out;
}

static char *to_json(const char *set)
{
    char err[TENSOR_ERROR], *out;
    if (manifest_set_to_parameters("f", set, &out, err, sizeof err) != 0) FINDING("%s", err);
    return out;
}

/* JSON -> text -> JSON is canonical (a string such as "0.10" may have become a number on the way), and so must stay
 * the same when it takes the same way again. */
static void parameters(const char *json)
{
    char err[TENSOR_ERROR], *set;
    if (manifest_parameters_to_set("f", json, &set, err, sizeof err) != 0) {
        check_error(err);
        return;
    }
    char *first = to_json(set), *again = to_set(first), *second = to_json(again);
    if (strcmp(first, second) != 0) FINDING("parameters %s became %s", first, second);
    free(set);
    free(first);
    free(again);
    free(second);
}

static void any_text(const uint8_t *data, size_t size)
{
    char err[TENSOR_ERROR], *out, *text = malloc(size + 1);
    if (text == NULL) abort();
    if (size > 0) memcpy(text, data, size);
    text[size] = '\0';
    parameters(text);
    if (manifest_set_to_parameters("f", text, &out, err, sizeof err) == 0) {
        parameters(out);
        free(out);
    } else {
        check_error(err);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    manifest m, again;
    char err[TENSOR_ERROR];
    if (manifest_parse("f", data, size, &m, err, sizeof err) != 0) {
        check_error(err);
        if (m.c != NULL || m.suite != NULL) FINDING("a refused manifest left something");
        any_text(data, size);
        return 0;
    }
    if (manifest_write(scratch_file(), &m, err, sizeof err) != 0) FINDING("%s", err);
    if (manifest_read(scratch_file(), &again, err, sizeof err) != 0) FINDING("%s", err);
    compare(&m, &again);
    unlink(scratch_file());
    for (size_t i = 0; i < m.cases; i++) parameters(m.c[i].parameters);
    manifest_clear(&again);
    manifest_clear(&m);
    return 0;
}
