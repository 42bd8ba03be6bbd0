/* For the copy that `make mcdc` compiles: jansson's macros as functions, so that the conditions inside them are not taken for ours. */
#include <jansson.h>

#undef json_is_object
#undef json_is_array
#undef json_is_string
#undef json_is_integer
#undef json_is_real
#undef json_is_number
#undef json_is_null
#undef json_object_foreach
#define TYPE_TEST(name, TYPE) \
    static inline int name(const json_t *j) { return j && json_typeof(j) == TYPE; }
TYPE_TEST(json_is_object, JSON_OBJECT)
TYPE_TEST(json_is_array, JSON_ARRAY)
TYPE_TEST(json_is_string, JSON_STRING)
TYPE_TEST(json_is_integer, JSON_INTEGER)
TYPE_TEST(json_is_real, JSON_REAL)
TYPE_TEST(json_is_null, JSON_NULL)
static inline int json_is_number(const json_t *j) { return json_is_integer(j) || json_is_real(j); }
static inline int next_member(void *at, const char **key, json_t **value)
{
    *key = json_object_iter_key(at);
    *value = *key ? json_object_iter_value(at) : NULL;
    return *value != NULL;
}
#define json_object_foreach(object, key, value) \
    for (void *mcdc_at = json_object_iter(object); next_member(mcdc_at, &key, &value); mcdc_at = json_object_iter_next(object, mcdc_at))
