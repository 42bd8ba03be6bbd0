/* jansson, as a reader may find it: what is read from a document is anything that its documentation allows.
 *
 * What is assumed, besides any.h's texts:
 *   - a getter returns NULL, or a value of any type with any integer and any finite real, and at most 2^48 members.  The root has
 *     MEMBERS, which an analysis fixes, because readers allocate by that number;
 *   - the members of an object come one after the other, and no more of them than there are;
 *   - the getters of a wrong type (the size of what is no array, say) return anything, where jansson returns 0;
 *   - a value lasts until its place in the source is passed again.  No reader here keeps two of one place;
 *   - what is released is not watched: a use after json_decref() would not be seen.  Valgrind and the sanitizers watch that.
 *
 * It is included before the reader, whose own inclusion of jansson.h then does nothing. */
#include <jansson_config.h>
#undef JSON_HAVE_ATOMIC_BUILTINS
#undef JSON_HAVE_SYNC_BUILTINS
#include <jansson.h>

#include "any.h"

typedef struct {
    json_t json;
    size_t members;
    json_int_t integer;
    double real;
} any_json;

static any_json any_nothing;

static json_t *any_value(any_json *v)
{
    if (Frama_C_nondet(0, 1)) return NULL;
    v->json.type = (json_type)Frama_C_interval(JSON_OBJECT, JSON_NULL);
    v->json.refcount = 2; /* never the last */
#ifdef ANY_MEMBERS /* no more than these, each number apart */
    v->members = (size_t)Frama_C_interval_split(0, ANY_MEMBERS);
#elif defined ANY_MOST /* no more than these, not apart */
    v->members = Frama_C_size_t_interval(0, ANY_MOST);
#else
    v->members = Frama_C_size_t_interval(0, (size_t)1 << 48);
#endif
    v->integer = Frama_C_long_long_interval(LLONG_MIN, LLONG_MAX);
    v->real = Frama_C_double_interval(-DBL_MAX, DBL_MAX);
    return &v->json;
}

static json_t *any_root(any_json *v, json_error_t *problem)
{
    json_t *j = any_value(v);
    v->members = MEMBERS;
    Frama_C_make_unknown((char *)problem, sizeof *problem);
    problem->text[TEXT] = '\0';
    return j;
}

static const char *any_string(const json_t *j) { return json_is_string(j) ? any_text() : NULL; }

/* One place in the source: one value. */
#define ANY_PLACE(value)                                                                                               \
    ({                                                                                                                 \
        static any_json here;                                                                                          \
        value;                                                                                                         \
    })
#define ANY_OF(j) ((const any_json *)((j) ? (j) : &any_nothing.json))

#define json_loadb(bytes, n, flags, problem) (any_bytes((bytes), (n)), ANY_PLACE(any_root(&here, (problem))))
#define json_loads(text, flags, problem)     (any_read(text), ANY_PLACE(any_root(&here, (problem))))
#define json_object_get(j, key)              ((void)(j), any_read(key), ANY_PLACE(any_value(&here)))
#define json_array_get(j, i)                 ((void)(j), (void)(i), ANY_PLACE(any_value(&here)))
#define json_array_size(j)                   (ANY_OF(j)->members)
#define json_object_size(j)                  (ANY_OF(j)->members)
#define json_integer_value(j)                (ANY_OF(j)->integer)
#define json_real_value(j)                   (ANY_OF(j)->real)
#define json_string_value                    any_string

#undef json_object_foreach
#define json_object_foreach(object, key, value)                                                                        \
    for (size_t any_i = 0;                                                                                             \
         any_i < ANY_OF(object)->members && ((key) = any_text(), ((value) = ANY_PLACE(any_value(&here))) != NULL);     \
         any_i++)

void json_delete(json_t *j) { (void)j; }

/* A file of any 4 bytes, or none: what is in it is what json_loadb() makes of it. */
static int any_whole_file(unsigned char **bytes, size_t *n, char *err, size_t errlen)
{
    *n = 4;
    *bytes = malloc(*n + 1);
    if (!*bytes) return any_message(err, errlen);
    Frama_C_make_unknown((char *)*bytes, *n);
    return 0;
}
#define whole_file_read(path, bytes, n, err, errlen) (any_read(path), any_whole_file((bytes), (n), (err), (errlen)))
