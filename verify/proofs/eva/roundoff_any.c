/* Roundoffs as text: any text for each of them, and, with the shortest, texts as long as their room, and longer. */
#define ANY_COUNTS 12
#define ANY_COMPARED
#include "any.h"

/* strtok_r(), written out for a separator of one byte. */
static char *any_token(char *s, const char *separator, char **rest)
{
    if (!s) s = *rest;
    while (*s == separator[0]) s++;
    if (*s == '\0') return *rest = s, NULL;
    char *end = s;
    while (*end != '\0' && *end != separator[0]) end++;
    *rest = *end == '\0' ? end : end + 1;
    *end = '\0';
    return s;
}
#define strtok_r any_token

#include "roundoff.c"

const twin_profile twin_profiles[] = {{.name = "f64"}, {.name = "f32"}, {.name = NULL}};
static twin_profile any_profile;

const twin_profile *twin_profile_find(const char *name)
{
    any_read(name);
    any_profile.elementary_ulp = Frama_C_double_interval(-DBL_MAX, DBL_MAX);
    any_profile.arithmetic.digits = Frama_C_interval(0, 128);
    any_profile.storage.digits = Frama_C_interval(0, 128);
    any_profile.arithmetic.name = any_profile.storage.name = "f64";
    return Frama_C_nondet(0, 1) ? &any_profile : NULL;
}

static char text[TEXT + 1], err[12];
static roundoff r;

static void all(void)
{
    roundoff_arithmetic(&r, text, err, sizeof err);
    roundoff_elementary(&r, text, err, sizeof err);
    roundoff_tensor(&r, text, err, sizeof err);
}

static void edges(void)
{
    char line[140];
    for (size_t n = 62; n < 66; n++)
        for (size_t v = 62; v < 66; v++) {
            any_letters(any_letters(line, n, '='), v, '\0');
            roundoff_tensor(&r, line, err, sizeof err);
        }
}

int main(void)
{
    r.tensors = ROUNDOFF_TENSORS - 1; /* room for one more */
    Frama_C_make_unknown((char *)r.name, sizeof r.name);
    for (size_t i = 0; i < ROUNDOFF_TENSORS; i++) r.name[i][ROUNDOFF_NAME - 1] = '\0';
    Frama_C_make_unknown(text, TEXT);
    all();
    all();
    if (TEXT == 0) edges();
    return 0;
}
