/* The index of a sharded file: names of up to 3 bytes, and an end, that are added to a list that is full, or but for one place.
 *
 * Left out: the map as a whole, since lists are sorted and searched. */
#define MEMBERS 1
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

#include "shards.c"

static char one[] = "a/x", err[64];
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

int main(void)
{
    for (size_t i = 0; i < SHARDS; i++) room[i] = one;
    for (size_t n = 0; n < 4; n++) {
        name(n, "");
        name(n, ".safetensors");
        name(n, ".safetensors.index.json" + 12);
    }
    return 0;
}
