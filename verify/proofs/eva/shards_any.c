/* The index of a sharded file.
 *
 * PART 1: names of up to 3 bytes, and an end, that are added to a list that is full, or but for one place; 2: an index whose map has
 * MEMBERS members, at most two, of any values.  A file's name is any byte and ".safetensors": the room for its path follows from its
 * length, and what does not end so is refused (PART 1).  Both loops over the map see the same members. */
#define ANY_TWO
#include "jansson_any.h"

#include "shards.h"

static char *any_last(const char *s, char c)
{
    const char *last = NULL;
    for (; *s != '\0'; s++)
        if (*s == c) last = s;
    return (char *)(uintptr_t)last;
}
#define strrchr any_last

/* Any element, or none. */
static void *any_search(const void *key, const void *base, size_t n, size_t size,
                        int (*compare)(const void *, const void *))
{
    if (n == 0) return NULL;
    const char *one = (const char *)base + Frama_C_size_t_interval(0, n - 1) * size;
    return compare(key, one) == 0 ? (void *)(uintptr_t)one : NULL;
}
#define bsearch any_search

/* The map. */
static struct {
    any_json value;
    char key[TEXT + 1], file[14];
} any_member[MEMBERS + 1];

static json_t *any_map(any_json *map)
{
    json_t *j = any_value(map);
    map->members = MEMBERS;
    for (size_t i = 0; i < MEMBERS; i++) {
        any_value(&any_member[i].value);
        any_member[i].value.json.type = (json_type)Frama_C_interval(JSON_OBJECT, JSON_NULL);
        Frama_C_make_unknown(any_member[i].key, TEXT);
        memcpy(any_member[i].file, "x.safetensors", 14);
        any_member[i].file[0] = Frama_C_char_interval(1, 127);
    }
    return j;
}

static const char *any_file_of(const json_t *j)
{
    for (size_t i = 0; i < MEMBERS; i++)
        if (j == &any_member[i].value.json && json_is_string(j)) return any_member[i].file;
    return NULL;
}
#undef json_object_get
#define json_object_get(j, key) ((void)(j), any_read(key), ANY_PLACE(any_map(&here)))
#undef json_string_value
#define json_string_value any_file_of
#undef json_object_foreach
#define json_object_foreach(object, k, v)                                                                              \
    for (size_t any_i = 0;                                                                                             \
         any_i < MEMBERS && ((k) = any_member[any_i].key, (v) = &any_member[any_i].value.json, true); any_i++)

#include "shards.c"

static char err[64];

#if PART == 1
static char one[] = "a/x";
static char *room[SHARDS];

/* A name of n bytes, which are any of ASCII, and an end. */
static void name(size_t n, const char *end)
{
    char text[24];
    shard_index x = {.path = (char[]){"a/i"}, .shard = room};
    for (size_t i = 0; i < n; i++) text[i] = Frama_C_char_interval(1, 127);
    for (size_t i = 0; (text[n + i] = end[i]) != '\0'; i++) {}
    shards_named(text);
    free(beside("index", text));
    free(beside("a/b/", text));
    x.shards = SHARDS - 1;
    add_shard(&x, text, err, sizeof err);
    room[SHARDS - 1] = one;
    x.shards = SHARDS;
    add_shard(&x, text, err, sizeof err);
}

static void part(void)
{
    for (size_t i = 0; i < SHARDS; i++) room[i] = one;
    for (size_t n = 0; n < 4; n++) {
        name(n, "");
        name(n, ".safetensors");
        name(n, ".safetensors.index.json" + 12);
    }
}
#elif PART == 2
static void part(void)
{
    shard_index x;
    if (shards_read("a/i", &x, err, sizeof err) != 0) return;
    shards_has(&x, Frama_C_size_t_interval(0, SHARDS), any_text());
    shards_count(&x, Frama_C_size_t_interval(0, SHARDS));
    shards_clear(&x);
}
#endif

int main(void)
{
    part();
    return 0;
}
