/* manifest.json: each of its parts, whatever JSON it is, with at most ANY_MEMBERS members; what is appended to a manifest; parameters
 * in both directions; and a file as a whole (PART 4), of any JSON with at most ANY_MOST members, one case at most and blocks without
 * digests.  What is assumed besides: the C library's numbers (any_printed) and strtok_r() (any_part).
 *
 * Left out: writing. */
#define ANY_OWN_TEXT
static const char *any_text(void);
#include "jansson_any.h"

#include "manifest.h"

/* Texts of up to 8 bytes, and of up to those of a digest: either of them, or one only. */
static char any_short[9], any_digest[65];
static const char *any_text(void)
{
    Frama_C_make_unknown(any_short, sizeof any_short - 1);
    Frama_C_make_unknown(any_digest, sizeof any_digest - 1);
    if (PART == 1 || (PART != 4 && Frama_C_nondet(0, 1))) return any_short;
    return any_digest;
}

/* A number of 17 digits is printed in at most 24 bytes, and a NUL: manifest_real_text() relies on it. */
static int any_printed(char *to, size_t n, const char *format)
{
    return any_message(to, n > 25 && format[0] == '%' && format[1] == '.' && format[2] == '*' ? 25 : n);
}
#undef snprintf
#define snprintf(to, n, format, ...) any_printed((to), (n), (format))

/* A stream into memory: there is a text once it is closed, or none. */
static FILE *any_stream(char **text, size_t *n)
{
    *text = NULL;
    *n = 0;
    return Frama_C_nondet(0, 1) ? stdout : NULL;
}
#define open_memstream any_stream
#define ferror(f)      ((void)(f), Frama_C_nondet(0, 1))
#define fclose(f)      (m->text = any_copy(""), Frama_C_nondet(0, EOF))
#define fputc(c, f)    ((void)(c))
#define strndup(s, n)  any_copy(s)

/* NULL, or a part that begins at any byte of the text. */
static char *any_part(char *s, char **rest)
{
    if (s) *rest = s;
    if (Frama_C_nondet(0, 1)) return NULL;
    return *rest + Frama_C_size_t_interval(0, strlen(*rest));
}
#define strtok_r(s, separators, rest) any_part((s), (rest))

#define json_object()                (ANY_PLACE(any_value(&here)))
#define json_real(x)                 ((void)(x), ANY_PLACE(any_value(&here)))
#define json_string(s)               (any_read(s), ANY_PLACE(any_value(&here)))
#define json_object_set_new(o, k, v) ((void)(o), any_read(k), (void)(v), Frama_C_nondet(-1, 0))

/* roundoff.c: see roundoff_any.c. */
static int any_said(const char *text, char *err, size_t errlen)
{
    any_read(text);
    return Frama_C_nondet(0, 1) ? any_message(err, errlen) : 0;
}
#define roundoff_arithmetic(r, s, err, errlen) ((void)(r), any_said((s), (err), (errlen)))
#define roundoff_elementary(r, s, err, errlen) ((void)(r), any_said((s), (err), (errlen)))
#define roundoff_tensor(r, s, err, errlen)     ((void)(r), any_said((s), (err), (errlen)))

#if PART == 4 /* the number of cases apart; no digests of blocks */
static json_t *any_of(any_json *v, const char *key)
{
    any_read(key);
    json_t *j = any_value(v);
    if (key[0] == 'c') v->members = (size_t)Frama_C_interval_split(0, 1);
    if (key[0] == 'e' || (key[0] == 'p' && key[1] == 'r')) v->members = 0; /* expected, prompt */
    return j;
}
#undef json_object_get
#define json_object_get(j, key) ((void)(j), ANY_PLACE(any_of(&here, (key))))
#endif

#include "manifest.c"

static any_json value;
static char err[64];

#if PART == 1 /* words, parameters */
static void part(void)
{
    char *out, real[40];
    const char *text = any_text();
    manifest_name_ok(text);
    op_ok(text);
    digest_ok(text);
    manifest_real_text(real, Frama_C_double_interval(-DBL_MAX, DBL_MAX));
    if (parameters_text(Frama_C_nondet(AS_JSON, AS_SET), "m", any_value(&value), &out, err, sizeof err) == 0) free(out);
    if (manifest_parameters_to_set("m", text, &out, err, sizeof err) == 0) free(out);
    if (manifest_set_to_parameters("m", text, &out, err, sizeof err) == 0) free(out);
}
#elif PART == 2 /* blocks, roundoffs */
static void part(void)
{
    static roundoff r;
    manifest_case c = {.name = any_short};
    parse_blocks("m", &c, any_value(&value), err, sizeof err);
    free(c.prompt_blocks);
    free(c.expected_blocks);
    parse_roundoff("m", any_value(&value), &r, err, sizeof err);
}
#elif PART == 3 /* cases that are appended, one after the other */
static void part(void)
{
    manifest m = {0};
    for (int i = 0; i < 3; i++) {
        const char *prompt = any_text(), *expected = any_text();
        if (add_case("m", &m, any_short, any_short, prompt, expected, err, sizeof err) != 0) break;
        if (i == 2) check_names("m", &m, err, sizeof err);
    }
    manifest_clear(&m);
}
#elif PART == 4 /* a file as a whole */
static void part(void)
{
    manifest m;
    if (manifest_read("m", &m, err, sizeof err) == 0) manifest_clear(&m);
}
#endif

int main(void)
{
    part();
    return 0;
}
