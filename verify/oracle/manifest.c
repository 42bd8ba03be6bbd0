/* manifest.json, and the parameters of a case as JSON.  Every string in a manifest is a word without blanks, quotes or
 * backslashes, which is why the writer needs no escapes and a name can be used as a file's stem. */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif

#include "manifest.h"

#include "digest.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorfile.h"

/* --- words --- */

static bool letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool word_ok(const char *s, const char *others)
{
    size_t n = 0;
    for (; s[n] != '\0'; n++)
        if (!letter_or_digit(s[n]) && strchr(others, s[n]) == NULL) return false;
    return n > 0 && n <= MANIFEST_NAME;
}

bool manifest_name_ok(const char *name) { return word_ok(name, "._-+=,") && (letter_or_digit(*name) || *name == '_'); }

static bool op_ok(const char *s) { return word_ok(s, "._-") && letter_or_digit(*s); }

static bool plain_ok(const char *s) { return word_ok(s, "._-+~"); }

static bool digest_ok(const char *s) { return strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64; }

bool manifest_has_flag(const manifest_case *c, const char *flag)
{
    for (size_t i = 0; i < c->flags; i++)
        if (strcmp(c->flag[i], flag) == 0) return true;
    return false;
}

/* --- parameters --- */

void manifest_real_text(char out[40], double x)
{
    for (int digits = 1;; digits++) {
        snprintf(out, 40, "%.*g", digits, x);
        if (digits == 17 || strtod(out, NULL) == x) break;
    }
    if (strpbrk(out, ".e") == NULL) strcat(out, ".0");
}

/* The value of a parameter as text: "2", "0.125", "topk-softmax".  -1 if it is none of the three kinds. */
static int value_text(char out[MANIFEST_NAME + 1], const json_t *j)
{
    if (json_is_integer(j)) {
        snprintf(out, MANIFEST_NAME + 1, "%lld", (long long)json_integer_value(j));
    } else if (json_is_real(j)) {
        char text[40];
        manifest_real_text(text, json_real_value(j));
        snprintf(out, MANIFEST_NAME + 1, "%s", text);
    } else {
        if (!json_is_string(j) || !plain_ok(json_string_value(j))) return -1;
        snprintf(out, MANIFEST_NAME + 1, "%s", json_string_value(j));
    }
    return 0;
}

/* A stream into memory whose end is told by finish(): -1 if anything that was printed to it got lost. */
typedef struct {
    FILE *stream;
    char *text;
    size_t n;
} memory;

static int start(memory *m)
{
    *m = (memory){0};
    m->stream = open_memstream(&m->text, &m->n);
    return m->stream == NULL ? -1 : 0;
}

static int finish(memory *m)
{
    bool lost = ferror(m->stream) != 0;
    if (fclose(m->stream) != 0 || !m->text) lost = true;
    if (!lost) return 0;
    free(m->text);
    return -1;
}

typedef enum { AS_JSON, AS_SET } form;

static int print_parameters(FILE *to, form as, const char *label, json_t *object, char *err, size_t errlen)
{
    char q[TENSOR_QUOTED], text[MANIFEST_NAME + 1];
    const char *key, *separator = "";
    json_t *value;
    json_object_foreach(object, key, value)
    {
        if (!word_ok(key, "_") || value_text(text, value) != 0)
            return tensor_fail(err, errlen, "%s: parameter %s: expected a plain name and an integer, a real or a word",
                               label, tensor_quote(q, key));
        const char *mark = json_is_string(value) ? "\"" : "";
        if (as == AS_JSON)
            fprintf(to, "%s\"%s\": %s%s%s", separator, key, mark, text, mark);
        else
            fprintf(to, "%s%s=%s", separator, key, text);
        separator = as == AS_JSON ? ", " : ",";
    }
    return 0;
}

static int parameters_text(form as, const char *label, json_t *object, char **out, char *err, size_t errlen)
{
    memory m;
    if (!json_is_object(object)) return tensor_fail(err, errlen, "%s: parameters: expected a JSON object", label);
    if (start(&m) != 0) return tensor_fail(err, errlen, "%s: out of memory", label);
    if (as == AS_JSON) fputc('{', m.stream);
    int result = print_parameters(m.stream, as, label, object, err, errlen);
    if (as == AS_JSON) fputc('}', m.stream);
    if (finish(&m) != 0) return tensor_fail(err, errlen, "%s: out of memory", label);
    if (result != 0)
        free(m.text);
    else
        *out = m.text;
    return result;
}

static int parameters_load(const char *label, const char *text, json_t **object, char *err, size_t errlen)
{
    char q[TENSOR_QUOTED];
    json_error_t problem;
    *object = json_loads(text, JSON_REJECT_DUPLICATES, &problem);
    if (*object == NULL)
        return tensor_fail(err, errlen, "%s: parameters: not valid JSON: %s", label, tensor_quote(q, problem.text));
    return 0;
}

static int canonical(const char *label, const char *text, char **out, char *err, size_t errlen)
{
    json_t *object;
    if (parameters_load(label, text, &object, err, errlen) != 0) return -1;
    int result = parameters_text(AS_JSON, label, object, out, err, errlen);
    json_decref(object);
    return result;
}

int manifest_parameters_to_set(const char *label, const char *json, char **out, char *err, size_t errlen)
{
    json_t *object;
    if (parameters_load(label, json, &object, err, errlen) != 0) return -1;
    int result = parameters_text(AS_SET, label, object, out, err, errlen);
    json_decref(object);
    return result;
}

/* "k=2": a value that JSON reads as a finite number is one, all else is a string. */
static int set_one(json_t *object, const char *pair)
{
    const char *equals = strchr(pair, '=');
    if (equals == NULL || equals == pair) return -1;
    char *key = strndup(pair, (size_t)(equals - pair));
    if (key == NULL) return -1;
    json_error_t problem;
    json_t *value = json_loads(equals + 1, JSON_DECODE_ANY, &problem);
    if (value == NULL && *problem.text == '\0') { /* no mistake in the text: out of memory */
        free(key);
        return -1;
    }
    if (json_is_integer(value) && json_integer_value(value) == 0 && equals[1] == '-') {
        json_decref(value); /* an integer has no -0 */
        value = json_real(-0.0);
    } else if (!json_is_number(value)) {
        json_decref(value);
        value = json_string(equals + 1);
    }
    bool twice = json_object_get(object, key) != NULL;
    int result = json_object_set_new(object, key, value);
    free(key);
    return twice ? -1 : result;
}

int manifest_set_to_parameters(const char *label, const char *set, char **out, char *err, size_t errlen)
{
    char q[TENSOR_QUOTED], *rest = NULL;
    char *copy = strdup(set);
    json_t *object = json_object();
    int result = 0;
    if (copy == NULL || object == NULL) result = tensor_fail(err, errlen, "%s: out of memory", label);
    for (char *pair = result == 0 ? strtok_r(copy, ",", &rest) : NULL; pair != NULL && result == 0;
         pair = strtok_r(NULL, ",", &rest))
        if (set_one(object, pair) != 0)
            result = tensor_fail(err, errlen, "%s: parameter %s: expected name=value, each name once", label,
                                 tensor_quote(q, pair));
    if (result == 0) result = parameters_text(AS_JSON, label, object, out, err, errlen);
    json_decref(object);
    free(copy);
    return result;
}

/* --- a manifest in memory --- */

static void clear_case(manifest_case *c)
{
    for (size_t i = 0; i < c->flags; i++) free(c->flag[i]);
    free(c->flag);
    free(c->name);
    free(c->op);
    free(c->parameters);
    free(c->prompt_blocks);
    free(c->expected_blocks);
}

void manifest_clear(manifest *m)
{
    for (size_t i = 0; i < m->cases; i++) clear_case(&m->c[i]);
    free(m->c);
    free(m->smoeref);
    free(m->suite);
    free(m->roundoff);
    *m = (manifest){0};
}

int manifest_init(manifest *m, const char *version, const char *suite, uint64_t seed, char *err, size_t errlen)
{
    char q[TENSOR_QUOTED];
    *m = (manifest){0};
    if (!plain_ok(version))
        return tensor_fail(err, errlen, "manifest: version %s: expected a word", tensor_quote(q, version));
    if (!plain_ok(suite))
        return tensor_fail(err, errlen, "manifest: suite %s: expected a word", tensor_quote(q, suite));
    if (seed > MANIFEST_SEED_MAX)
        return tensor_fail(err, errlen, "manifest: seed %llu: expected at most %llu", (unsigned long long)seed,
                           (unsigned long long)MANIFEST_SEED_MAX);
    m->smoeref = strdup(version);
    m->suite = strdup(suite);
    m->seed = seed;
    if (m->smoeref != NULL && m->suite != NULL) return 0;
    manifest_clear(m);
    return tensor_fail(err, errlen, "manifest: out of memory");
}

static int add_flag(const char *label, manifest_case *c, const char *flag, char *err, size_t errlen)
{
    char q[TENSOR_QUOTED], v[TENSOR_QUOTED];
    if (!plain_ok(flag) || manifest_has_flag(c, flag) || c->flags == MANIFEST_FLAGS)
        return tensor_fail(err, errlen, "%s: case %s: flag %s: expected a word, each once, at most %d", label,
                           tensor_quote(q, c->name), tensor_quote(v, flag), (int)MANIFEST_FLAGS);
    char **grown = realloc(c->flag, (c->flags + 1) * sizeof *grown);
    if (grown == NULL) return tensor_fail(err, errlen, "%s: out of memory", label);
    c->flag = grown;
    c->flag[c->flags] = strdup(flag);
    if (c->flag[c->flags] == NULL) return tensor_fail(err, errlen, "%s: out of memory", label);
    c->flags++;
    return 0;
}

/* Appends a case with its words checked; its parameters and flags come after.  The manifest owns it from here on. */
static int add_case(const char *label, manifest *m, const char *name, const char *op, const char *prompt,
                    const char *expected, char *err, size_t errlen)
{
    char q[TENSOR_QUOTED], v[TENSOR_QUOTED];
    if (!manifest_name_ok(name))
        return tensor_fail(
            err, errlen, "%s: case %s: expected a plain file stem: letters, digits and . _ - + = , and no leading mark",
            label, tensor_quote(q, name));
    if (!op_ok(op))
        return tensor_fail(err, errlen, "%s: case %s: op %s: expected the id of an operation", label,
                           tensor_quote(q, name), tensor_quote(v, op));
    if (!digest_ok(prompt) || !digest_ok(expected))
        return tensor_fail(err, errlen,
                           "%s: case %s: sha256: expected 64 lower-case hex digits for prompt and for expected", label,
                           tensor_quote(q, name));
    if ((m->cases & (m->cases - 1)) == 0) { /* room for twice as many at each power of two */
        manifest_case *grown = realloc(m->c, (m->cases ? 2 * m->cases : 1) * sizeof *grown);
        if (grown == NULL) return tensor_fail(err, errlen, "%s: out of memory", label);
        m->c = grown;
    }
    manifest_case *c = &m->c[m->cases++];
    *c = (manifest_case){.name = strdup(name), .op = strdup(op)};
    memcpy(c->prompt_sha256, prompt, 65);
    memcpy(c->expected_sha256, expected, 65);
    return c->name == NULL || c->op == NULL ? tensor_fail(err, errlen, "%s: out of memory", label) : 0;
}

static int add_flags(manifest_case *c, const char *flags, char *err, size_t errlen)
{
    char *rest = NULL, *copy = strdup(flags == NULL ? "" : flags);
    if (copy == NULL) return tensor_fail(err, errlen, "manifest: out of memory");
    int result = 0;
    for (char *flag = strtok_r(copy, ",", &rest); flag != NULL && result == 0; flag = strtok_r(NULL, ",", &rest))
        result = add_flag("manifest", c, flag, err, errlen);
    free(copy);
    return result;
}

int manifest_add(manifest *m, const char *name, const char *op, const char *parameters, const char *flags,
                 const char *prompt_sha256, const char *expected_sha256, char *err, size_t errlen)
{
    size_t before = m->cases;
    int result = add_case("manifest", m, name, op, prompt_sha256, expected_sha256, err, errlen);
    if (result == 0) {
        const char *text = parameters == NULL || *parameters == '\0' ? "{}" : parameters;
        result = canonical(name, text, &m->c[before].parameters, err, errlen);
    }
    if (result == 0) result = add_flags(&m->c[before], flags, err, errlen);
    if (result != 0 && m->cases > before) clear_case(&m->c[--m->cases]);
    return result;
}

int manifest_add_blocks(manifest *m, const char *prompt, const char *expected, char *err, size_t errlen)
{
    manifest_case *c = &m->c[m->cases - 1];
    c->prompt_blocks = strdup(prompt);
    c->expected_blocks = strdup(expected);
    return c->prompt_blocks && c->expected_blocks ? 0 : tensor_fail(err, errlen, "manifest: out of memory");
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static int check_names(const char *label, const manifest *m, char *err, size_t errlen)
{
    char q[TENSOR_QUOTED];
    const char **name = calloc(m->cases + 1, sizeof *name);
    if (name == NULL) return tensor_fail(err, errlen, "%s: out of memory", label);
    for (size_t i = 0; i < m->cases; i++) name[i] = m->c[i].name;
    if (m->cases > 0) qsort(name, m->cases, sizeof *name, by_text);
    int result = 0;
    for (size_t i = 1; i < m->cases && result == 0; i++)
        if (strcmp(name[i - 1], name[i]) == 0)
            result = tensor_fail(err, errlen, "%s: case %s: expected each name once", label, tensor_quote(q, name[i]));
    free(name);
    return result;
}

/* --- writing --- */

static void print_blocks(FILE *to, const char *blocks)
{
    for (const char *b = blocks; *b; b += DIGEST_HEX) fprintf(to, "%s\"%.64s\"", b == blocks ? "" : ",\n      ", b);
}

static void print_case(FILE *to, const manifest_case *c)
{
    fprintf(to, "    {\"name\": \"%s\", \"op\": \"%s\", \"parameters\": %s,\n     \"flags\": [", c->name, c->op,
            c->parameters);
    for (size_t i = 0; i < c->flags; i++) fprintf(to, "%s\"%s\"", i ? ", " : "", c->flag[i]);
    fprintf(to, "],\n     \"sha256\": {\"prompt\": \"%s\",\n                \"expected\": \"%s\"}", c->prompt_sha256,
            c->expected_sha256);
    if (c->prompt_blocks) {
        fputs(",\n     \"blocks\": {\"prompt\": [", to);
        print_blocks(to, c->prompt_blocks);
        fputs("],\n                \"expected\": [", to);
        print_blocks(to, c->expected_blocks);
        fputs("]}", to);
    }
    fputs("}", to);
}

/* In full, whether it was so said or not. */
static void print_roundoff(FILE *to, const roundoff *r)
{
    const char *separator = "";
    fputs("  \"roundoff\": {", to);
    if (r->arithmetic) fprintf(to, "\"arithmetic\": \"%s\"", r->arithmetic->name);
    if (r->arithmetic) separator = ", ";
    if (r->elementary_ulp > 0) fprintf(to, "%s\"elementary\": \"%.17gulp\"", separator, r->elementary_ulp);
    if (r->elementary_ulp > 0) separator = ", ";
    if (r->tensors > 0) fprintf(to, "%s\"tensors\": {", separator);
    for (size_t i = 0; i < r->tensors; i++) {
        const twin_profile *p = &r->tensor[i];
        fprintf(to, "%s\"%s\": \"%s+%s+%.17gulp\"", i ? ", " : "", r->name[i], p->storage.name, p->arithmetic.name,
                p->elementary_ulp);
    }
    fputs(r->tensors > 0 ? "}},\n" : "},\n", to);
}

int manifest_write(const char *path, const manifest *m, char *err, size_t errlen)
{
    memory out;
    if (check_names(path, m, err, errlen) != 0) return -1;
    if (start(&out) != 0) return tensor_fail(err, errlen, "%s: out of memory", path);
    fprintf(out.stream, "{\n  \"smoeref\": \"%s\",\n  \"suite\": \"%s\",\n  \"seed\": %llu,\n", m->smoeref, m->suite,
            (unsigned long long)m->seed);
    if (m->roundoff) print_roundoff(out.stream, m->roundoff);
    fputs("  \"cases\": [", out.stream);
    for (size_t i = 0; i < m->cases; i++) {
        fputs(i ? ",\n" : "\n", out.stream);
        print_case(out.stream, &m->c[i]);
    }
    fputs(m->cases ? "\n  ]\n}\n" : "]\n}\n", out.stream);
    if (finish(&out) != 0) return tensor_fail(err, errlen, "%s: out of memory", path);
    file_part part = {out.text, out.n};
    int result = whole_file_write(path, 1, &part, err, errlen);
    free(out.text);
    return result;
}

/* --- reading --- */

/* Exactly the fields named in `fields`: none missing (but for the last ones, `may` in number), none besides. */
static int check_optional_fields(const char *where, json_t *object, size_t n, size_t may, const char *const *fields,
                                 char *err, size_t errlen)
{
    char q[TENSOR_QUOTED];
    const char *key;
    json_t *value;
    if (!json_is_object(object)) return tensor_fail(err, errlen, "%s: expected a JSON object", where);
    for (size_t i = 0; i < n - may; i++)
        if (json_object_get(object, fields[i]) == NULL)
            return tensor_fail(err, errlen, "%s: missing field \"%s\"", where, fields[i]);
    json_object_foreach(object, key, value)
    {
        bool known = false;
        for (size_t i = 0; i < n; i++) known = known || strcmp(key, fields[i]) == 0;
        if (!known) return tensor_fail(err, errlen, "%s: unknown field %s", where, tensor_quote(q, key));
    }
    return 0;
}

static int check_fields(const char *where, json_t *object, size_t n, const char *const *fields, char *err,
                        size_t errlen)
{
    return check_optional_fields(where, object, n, 0, fields, err, errlen);
}

static const char *string_of(const json_t *object, const char *field)
{
    const char *s = json_string_value(json_object_get(object, field));
    return s == NULL ? "" : s; /* which no check of a word lets pass */
}

static int parse_flags(const char *label, manifest_case *c, const json_t *flags, char *err, size_t errlen)
{
    char q[TENSOR_QUOTED];
    int result = json_is_array(flags) ? 0 : -1;
    for (size_t i = 0; result == 0 && i < json_array_size(flags); i++) {
        const char *flag = json_string_value(json_array_get(flags, i));
        if (flag == NULL)
            result = -1;
        else if (add_flag(label, c, flag, err, errlen) != 0)
            return -1;
    }
    if (result == 0) return 0;
    return tensor_fail(err, errlen, "%s: case %s: expected \"flags\", an array of strings", label,
                       tensor_quote(q, c->name));
}

/* The digests of one file's blocks, put one after the other. */
static int parse_digests(const char *at, const json_t *list, char **to, char *err, size_t errlen)
{
    const size_t n = json_array_size(list);
    if (!json_is_array(list)) return tensor_fail(err, errlen, "%s: expected arrays of digests", at);
    *to = malloc(n * DIGEST_HEX + 1);
    if (*to == NULL) return tensor_fail(err, errlen, "%s: out of memory", at);
    (*to)[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        const char *hex = json_string_value(json_array_get(list, i));
        if (hex == NULL || !digest_ok(hex))
            return tensor_fail(err, errlen, "%s: block %zu: expected 64 lower-case hex digits", at, i);
        memcpy(*to + i * DIGEST_HEX, hex, DIGEST_HEX + 1);
    }
    return 0;
}

static int parse_blocks(const char *label, manifest_case *c, json_t *j, char *err, size_t errlen)
{
    static const char *const digests[] = {"prompt", "expected"};
    char at[TENSOR_ERROR], q[TENSOR_QUOTED];
    if (j == NULL) return 0;
    snprintf(at, sizeof at, "%s: case %s: blocks", label, tensor_quote(q, c->name));
    if (check_fields(at, j, 2, digests, err, errlen) != 0) return -1;
    if (parse_digests(at, json_object_get(j, "prompt"), &c->prompt_blocks, err, errlen) != 0) return -1;
    return parse_digests(at, json_object_get(j, "expected"), &c->expected_blocks, err, errlen);
}

static int parse_case(const char *label, manifest *m, json_t *j, char *err, size_t errlen)
{
    static const char *const fields[] = {"name", "op", "parameters", "flags", "sha256", "blocks"};
    static const char *const digests[] = {"prompt", "expected"};
    char where[TENSOR_ERROR], q[TENSOR_QUOTED];
    snprintf(where, sizeof where, "%s: case %zu", label, m->cases + 1);
    if (check_optional_fields(where, j, 6, 1, fields, err, errlen) != 0) return -1;
    const char *name = string_of(j, "name");
    snprintf(where, sizeof where, "%s: case %s", label, tensor_quote(q, name));
    json_t *sha = json_object_get(j, "sha256");
    char at[TENSOR_ERROR + 16];
    snprintf(at, sizeof at, "%s: sha256", where);
    if (check_fields(at, sha, 2, digests, err, errlen) != 0) return -1;
    if (add_case(label, m, name, string_of(j, "op"), string_of(sha, "prompt"), string_of(sha, "expected"), err,
                 errlen) != 0)
        return -1;
    manifest_case *c = &m->c[m->cases - 1];
    if (parameters_text(AS_JSON, where, json_object_get(j, "parameters"), &c->parameters, err, errlen) != 0) return -1;
    if (parse_flags(label, c, json_object_get(j, "flags"), err, errlen) != 0) return -1;
    return parse_blocks(label, c, json_object_get(j, "blocks"), err, errlen);
}

/* {"arithmetic": A, "elementary": "Nulp", "tensors": {NAME: "P+A+Nulp"}}, all of it optional */
static int parse_roundoff(const char *label, json_t *j, roundoff *r, char *err, size_t errlen)
{
    char why[TENSOR_ERROR / 2] = "expected an object of strings, and \"tensors\" one of these", text[256];
    const char *key, *name;
    json_t *value, *one;
    int result = json_is_object(j) ? 0 : -1;
    if (result == 0) json_object_foreach(j, key, value)
        {
            const char *s = json_string_value(value);
            if (result != 0) break;
            if (strcmp(key, "arithmetic") == 0 && s)
                result = roundoff_arithmetic(r, s, why, sizeof why);
            else if (strcmp(key, "elementary") == 0 && s)
                result = roundoff_elementary(r, s, why, sizeof why);
            else if (strcmp(key, "tensors") == 0 && json_is_object(value)) {
                json_object_foreach(value, name, one)
                {
                    const char *of = json_string_value(one);
                    if (result != 0) break;
                    if (!word_ok(name, "_") || !of) {
                        result = -1;
                        break;
                    }
                    snprintf(text, sizeof text, "%.100s=%.100s", name, of);
                    result = roundoff_tensor(r, text, why, sizeof why);
                }
            } else
                result = -1;
        }
    for (char *c = why; *c; c++)
        if (*c < 0x20 || *c > 0x7e) *c = '?'; /* it cites the file */
    return result == 0 ? 0 : tensor_fail(err, errlen, "%s: \"roundoff\": %s", label, why);
}

static int parse_root(const char *label, json_t *root, manifest *m, char *err, size_t errlen)
{
    static const char *const fields[] = {"smoeref", "suite", "seed", "cases", "roundoff"};
    json_t *said = json_object_get(root, "roundoff");
    if (check_fields(label, root, said ? 5 : 4, fields, err, errlen) != 0) return -1;
    const json_t *seed = json_object_get(root, "seed"), *cases = json_object_get(root, "cases");
    if (!json_is_integer(seed) || json_integer_value(seed) < 0 ||
        (uint64_t)json_integer_value(seed) > MANIFEST_SEED_MAX)
        return tensor_fail(err, errlen, "%s: \"seed\": expected an integer from 0 to 9007199254740991", label);
    if (!json_is_array(cases)) return tensor_fail(err, errlen, "%s: \"cases\": expected an array", label);
    if (!plain_ok(string_of(root, "smoeref")) || !plain_ok(string_of(root, "suite")))
        return tensor_fail(err, errlen, "%s: \"smoeref\" and \"suite\": expected a word each", label);
    if (manifest_init(m, string_of(root, "smoeref"), string_of(root, "suite"), (uint64_t)json_integer_value(seed), err,
                      errlen) != 0)
        return -1;
    if (said && !(m->roundoff = calloc(1, sizeof *m->roundoff)))
        return tensor_fail(err, errlen, "%s: out of memory", label);
    if (said && parse_roundoff(label, said, m->roundoff, err, errlen) != 0) return -1;
    for (size_t i = 0; i < json_array_size(cases); i++)
        if (parse_case(label, m, json_array_get(cases, i), err, errlen) != 0) return -1;
    return check_names(label, m, err, errlen);
}

int manifest_parse(const char *label, const void *bytes, size_t n, manifest *m, char *err, size_t errlen)
{
    char q[TENSOR_QUOTED];
    json_error_t problem;
    *m = (manifest){0};
    json_t *root = json_loadb(bytes, n, JSON_REJECT_DUPLICATES, &problem);
    if (root == NULL)
        return tensor_fail(err, errlen, "%s: line %d: not valid JSON: %s", label, problem.line,
                           tensor_quote(q, problem.text));
    int result = parse_root(label, root, m, err, errlen);
    json_decref(root);
    if (result != 0) manifest_clear(m);
    return result;
}

int manifest_read(const char *path, manifest *m, char *err, size_t errlen)
{
    unsigned char *bytes = NULL;
    size_t n = 0;
    *m = (manifest){0};
    if (whole_file_read(path, &bytes, &n, err, errlen) != 0) return -1;
    int result = manifest_parse(path, bytes, n, m, err, errlen);
    free(bytes);
    return result;
}
