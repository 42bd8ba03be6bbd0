/* Does a JSON value fit a schema?  The part of JSON Schema (draft 7) that spec/schema/ uses: type, enum, required,
 * properties, additionalProperties, items, maxItems, minLength, maxLength, pattern, minimum, maximum and local
 * $ref.  Any other keyword is an error, so that a schema cannot say more than is checked. */
#ifndef SMOEREF_TESTS_SCHEMA_H
#define SMOEREF_TESTS_SCHEMA_H

#include <jansson.h>
#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const json_t *root; /* the schema, for $ref */
    char where[200], what[200];
} schema_check;

static bool schema_no(schema_check *s, const char *where, const char *what)
{
    snprintf(s->where, sizeof s->where, "%s", where);
    snprintf(s->what, sizeof s->what, "%s", what);
    return false;
}

static bool schema_is_type(const json_t *v, const char *type)
{
    return (strcmp(type, "object") == 0 && json_is_object(v)) || (strcmp(type, "array") == 0 && json_is_array(v)) ||
           (strcmp(type, "string") == 0 && json_is_string(v)) || (strcmp(type, "boolean") == 0 && json_is_boolean(v)) ||
           (strcmp(type, "integer") == 0 && json_is_integer(v)) || (strcmp(type, "number") == 0 && json_is_number(v)) ||
           (strcmp(type, "null") == 0 && json_is_null(v));
}

static bool schema_is_one_of(const json_t *v, const json_t *types)
{
    if (json_is_string(types)) return schema_is_type(v, json_string_value(types));
    for (size_t i = 0; i < json_array_size(types); i++)
        if (schema_is_type(v, json_string_value(json_array_get(types, i)))) return true;
    return false;
}

static bool schema_matches(const char *text, const char *pattern)
{
    regex_t regex;
    if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0) return false;
    const bool good = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return good;
}

static bool schema_fits(schema_check *s, const json_t *schema, const json_t *v, const char *where);

static bool schema_object(schema_check *s, const json_t *schema, const json_t *v, const char *where)
{
    const json_t *known = json_object_get(schema, "properties"), *required = json_object_get(schema, "required");
    const json_t *others = json_object_get(schema, "additionalProperties");
    char at[200];
    for (size_t i = 0; i < json_array_size(required); i++)
        if (json_object_get(v, json_string_value(json_array_get(required, i))) == NULL)
            return schema_no(s, where, json_string_value(json_array_get(required, i)));
    for (void *i = json_object_iter((json_t *)(uintptr_t)v); i != NULL;
         i = json_object_iter_next((json_t *)(uintptr_t)v, i)) {
        const char *key = json_object_iter_key(i);
        const json_t *of = json_object_get(known, key);
        snprintf(at, sizeof at, "%.120s.%.60s", where, key);
        if (of == NULL && json_is_false(others)) return schema_no(s, at, "unknown field");
        if (of == NULL) of = others;
        if (of != NULL && !json_is_boolean(of) && !schema_fits(s, of, json_object_iter_value(i), at)) return false;
    }
    return true;
}

static bool schema_array(schema_check *s, const json_t *schema, const json_t *v, const char *where)
{
    const json_t *items = json_object_get(schema, "items"), *most = json_object_get(schema, "maxItems");
    char at[200];
    if (most != NULL && json_array_size(v) > (size_t)json_integer_value(most)) return schema_no(s, where, "too many");
    for (size_t i = 0; items != NULL && i < json_array_size(v); i++) {
        snprintf(at, sizeof at, "%.160s[%zu]", where, i);
        if (!schema_fits(s, items, json_array_get(v, i), at)) return false;
    }
    return true;
}

static bool schema_string(schema_check *s, const json_t *schema, const json_t *v, const char *where)
{
    const json_t *pattern = json_object_get(schema, "pattern"), *least = json_object_get(schema, "minLength");
    const json_t *most = json_object_get(schema, "maxLength");
    if (pattern != NULL && !schema_matches(json_string_value(v), json_string_value(pattern)))
        return schema_no(s, where, json_string_value(pattern));
    if (least != NULL && json_string_length(v) < (size_t)json_integer_value(least))
        return schema_no(s, where, "too short");
    if (most != NULL && json_string_length(v) > (size_t)json_integer_value(most))
        return schema_no(s, where, "too long");
    return true;
}

static bool schema_number(schema_check *s, const json_t *schema, const json_t *v, const char *where)
{
    const json_t *least = json_object_get(schema, "minimum"), *most = json_object_get(schema, "maximum");
    if (least != NULL && json_number_value(v) < json_number_value(least)) return schema_no(s, where, "too small");
    if (most != NULL && json_number_value(v) > json_number_value(most)) return schema_no(s, where, "too large");
    return true;
}

static bool schema_keywords(schema_check *s, const json_t *schema, const char *where)
{
    static const char known[] =
        " $schema title description definitions $ref type enum required properties additionalProperties "
        "items maxItems minLength maxLength pattern minimum maximum ";
    for (void *i = json_object_iter((json_t *)(uintptr_t)schema); i != NULL;
         i = json_object_iter_next((json_t *)(uintptr_t)schema, i)) {
        char word[64];
        snprintf(word, sizeof word, " %.60s ", json_object_iter_key(i));
        if (strstr(known, word) == NULL) return schema_no(s, where, "a keyword of the schema that is not checked");
    }
    return true;
}

static bool schema_fits(schema_check *s, const json_t *schema, const json_t *v, const char *where)
{
    const json_t *ref = json_object_get(schema, "$ref"), *type = json_object_get(schema, "type");
    const json_t *choices = json_object_get(schema, "enum");
    if (!schema_keywords(s, schema, where)) return false;
    if (ref != NULL) { /* "#/definitions/case" */
        const json_t *of =
            json_object_get(json_object_get(s->root, "definitions"), strrchr(json_string_value(ref), '/') + 1);
        return of == NULL ? schema_no(s, where, json_string_value(ref)) : schema_fits(s, of, v, where);
    }
    if (type != NULL && !schema_is_one_of(v, type)) return schema_no(s, where, "of another type");
    bool chosen = choices == NULL;
    for (size_t i = 0; i < json_array_size(choices); i++) chosen = chosen || json_equal(json_array_get(choices, i), v);
    if (!chosen) return schema_no(s, where, "not one of the values");
    if (json_is_object(v)) return schema_object(s, schema, v, where);
    if (json_is_array(v)) return schema_array(s, schema, v, where);
    if (json_is_string(v)) return schema_string(s, schema, v, where);
    return !json_is_number(v) || schema_number(s, schema, v, where);
}

/* spec/schema/<name>, from the folder above `make check` or from here.  NULL if it cannot be read. */
static json_t *schema_load(const char *name)
{
    const char *top = getenv("top_srcdir");
    char path[1000];
    snprintf(path, sizeof path, "%s/spec/schema/%s", top == NULL ? "." : top, name);
    return json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
}

/* On false, where and what say why. */
static bool schema_accepts(schema_check *s, const json_t *schema, const json_t *v)
{
    *s = (schema_check){.root = schema};
    return schema != NULL && v != NULL && schema_fits(s, schema, v, "");
}

#endif
