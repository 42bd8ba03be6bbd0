/* The verdicts of a shard: each part, whatever JSON it is, with at most ANY_MEMBERS members.
 *
 * PART 1: a tensor without its picture, which has as many cells as its shape says; 2: that picture, of tensors of 0, 1, 6 and 12 cells, the last more than a text has;
 * 3: the lists of a case, the tensors being those of part 1 and without bins; 4: a case without lists; 5: a file of up to one such case;
 * 6: joining one or two parts of up to 3, of up to 3 cases in all, each with as many as verdict_store_share() says, as read_root() sees to. */
#if PART == 5 /* a text of up to TEXT bytes, or of up to those of a digest */
#define ANY_OWN_TEXT
static const char *any_text(void);
#endif
#if PART == 6
#define ANY_COMPARED
#endif
#include "jansson_any.h"

#include "verdict_store.h"

#if PART == 5
static char any_digest[65];
static const char *any_text(void)
{
    Frama_C_make_unknown(any_texts[0], TEXT);
    Frama_C_make_unknown(any_digest, sizeof any_digest - 1);
    return Frama_C_nondet(0, 1) ? any_texts[0] : any_digest;
}
#endif

/* What json_unpack_ex() puts where it is told: a value of any type, a text, any number.  On an error it may have begun to. */
static json_t *any_field(any_json *v, const char *key)
{
    v->json.type = (json_type)Frama_C_interval(JSON_OBJECT, JSON_NULL);
    v->json.refcount = 2;
    v->members = Frama_C_size_t_interval(0, ANY_MEMBERS);
    v->integer = Frama_C_long_long_interval(LLONG_MIN, LLONG_MAX);
    v->real = Frama_C_double_interval(-DBL_MAX, DBL_MAX);
    if (key[0] == 's' && key[1] == 'h') v->members = Frama_C_size_t_interval(0, OP_RANK + 1); /* shape */
    if (key[0] == 'b' && key[1] == 'i') v->members = PART == 1 ? VERDICT_BINS : 0; /* bin */
    if (key[0] == 'h' && key[1] == 'e') v->json.type = JSON_NULL; /* heat */
    if (key[0] == 'c') v->members = (size_t)Frama_C_interval_split(0, 1); /* cases */
    if (PART >= 4 && (key[0] == 'd' || (key[0] == 't' && key[1] == 'e') || (key[0] == 'm' && key[1] == 'a')))
        v->members = 0; /* details, tensors, matches */
    return &v->json;
}

#if PART == 5 /* no digests but where they belong: manifest, asked */
#define any_field_text(key) ((key)[0] == 'm' || (key)[0] == 'a' ? any_text() : (any_text(), (const char *)any_texts[0]))
#else
#define any_field_text(key) any_text()
#endif

static int any_unpacked(any_json *value, json_error_t *problem, const char *format, ...)
{
    va_list to;
    Frama_C_make_unknown((char *)problem, sizeof *problem);
    problem->text[TEXT] = '\0';
    if (Frama_C_nondet(0, 1)) return -1;
    va_start(to, format);
    for (const char *f = format; *f != '\0'; f++) {
        if (*f != ':') continue;
        const char *key = va_arg(to, const char *);
        if (f[1] == 'o') *va_arg(to, json_t **) = any_field(value++, key);
        if (f[1] == 's') *va_arg(to, const char **) = any_field_text(key);
        if (f[1] == 'i') *va_arg(to, int *) = Frama_C_interval(INT_MIN, INT_MAX);
        if (f[1] == 'b') *va_arg(to, int *) = Frama_C_interval(0, 1);
        if (f[1] == 'I') *va_arg(to, json_int_t *) = Frama_C_long_long_interval(LLONG_MIN, LLONG_MAX);
    }
    va_end(to);
    return 0;
}
#define json_unpack_ex(j, problem, flags, ...)                                                                         \
    ({                                                                                                                 \
        static any_json here[24];                                                                                      \
        (void)(j);                                                                                                     \
        any_unpacked(here, (problem), __VA_ARGS__);                                                                    \
    })
#define json_number_value(j) (json_is_integer(j) ? (double)ANY_OF(j)->integer : ANY_OF(j)->real)

static const op_tensor in[] = {{"x", "T,d", OP_INPUT, OP_DIFF, ""}, {0}},
                       out[] = {{"y", "T", OP_BOUNDED, OP_DIFF, ""}, {0}};
static const op_record any_op = {.id = "op", .in = in, .out = out};
const twin_variant twin_variants[] = {{.op = "op", .name = "a"}, {.op = "op", .name = "b"}, {0}};
static const twin_profile any_profile;

#define op_find(id) (any_read(id), Frama_C_nondet(0, 1) ? &any_op : (const op_record *)NULL)
#define verdict_variant(op, name)                                                                                      \
    (any_read(op), any_read(name), Frama_C_nondet(0, 1) ? &twin_variants[1] : (const twin_variant *)NULL)
#define twin_profile_find(name) (any_read(name), Frama_C_nondet(0, 1) ? &any_profile : (const twin_profile *)NULL)
#define verdict_clean(text)     any_read(text)
#define verdict_case_clear(v)   ((void)(v))

#include "verdict_store.c"

static any_json value;
static char err[64];

/* The part a, and b if n is 2, of a run that has `shards` parts; b may be of any run. */
static void join(size_t total, size_t shards, size_t n, size_t a, size_t b)
{
    static const char *const path[] = {"a", "b"};
    verdict_case *c = NULL;
    static verdict_store s[2];
    for (size_t i = 0; i < n; i++) {
        s[i].shard = i == 0 ? a : b;
        s[i].shards = shards;
        s[i].total = total;
        s[i].cases = verdict_store_share(total, s[i].shard, shards);
        s[i].c = calloc(s[i].cases + 1, sizeof *s[i].c);
        if (!s[i].c) return;
        s[i].suite = s[i].precision = any_texts[i];
        Frama_C_make_unknown(s[i].manifest, 64);
        Frama_C_make_unknown(s[i].asked, 64);
        s[i].seed = Frama_C_unsigned_long_interval(0, 1UL << 53);
        s[i].forward = Frama_C_nondet(0, 1);
        s[i].power = Frama_C_nondet(0, 1);
        if (i == 1 && Frama_C_nondet(0, 1)) s[i].total = Frama_C_size_t_interval(0, SIZE_MAX);
        if (i == 1 && Frama_C_nondet(0, 1)) s[i].shards = Frama_C_size_t_interval(1, SIZE_MAX);
    }
    verdict_store_join(s, n, path, &c, err, sizeof err);
}

int main(void)
{
    reader r = {.label = "v", .where = "case 1: ", .err = err, .errlen = sizeof err};
    verdict_tensor t = {0};
    verdict_case v = {.op = &any_op};
    switch (PART) {
    case 1:
        read_tensor(&r, any_value(&value), &any_op, &t);
        break;
    case 2:
        t = (verdict_tensor){.rank = 0, .count = 1};
        read_heat(&r, any_value(&value), &t);
        t = (verdict_tensor){.rank = 2, .dim = {2, 3}, .count = 6};
        read_heat(&r, any_value(&value), &t);
        t = (verdict_tensor){.rank = 1, .dim = {12}, .count = 12};
        read_heat(&r, any_value(&value), &t);
        t = (verdict_tensor){.rank = 2, .dim = {0, 3}, .count = 0};
        read_heat(&r, any_value(&value), &t);
        break;
    case 3: { /* one of the three lists has members */
        static any_json none = {.json = {JSON_ARRAY, 2}};
        verdict_case w = v, u = v;
        json_t *j = any_value(&value);
        if (read_lists(&r, j, &none.json, &none.json, &v) == 0) check_sums(&r, &v);
        if (read_lists(&r, &none.json, j, &none.json, &w) == 0) check_sums(&r, &w);
        if (read_lists(&r, &none.json, &none.json, j, &u) == 0) check_sums(&r, &u);
        break;
    }
    case 5: {
        verdict_store s;
        if (verdict_store_read("v", &s, "1", err, sizeof err) == 0) verdict_store_clear(&s);
        break;
    }
    case 6:
        for (size_t total = 0; total < 4; total++)
            for (size_t shards = 1; shards < 4; shards++)
                for (size_t a = 1; a <= shards; a++) {
                    join(total, shards, 1, a, 0);
                    for (size_t b = 1; b <= shards; b++) join(total, shards, 2, a, b);
                }
        break;
    default:
        read_case(&r, any_value(&value), &v);
        break;
    }
    return 0;
}
