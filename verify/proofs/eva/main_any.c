/* What the command line takes as free text: numbers and conditions (--where).
 *
 * Left out: add_names(), where a list of names has room for each name once, and all_default(), which looks at what snprintf()
 * wrote: both are beyond Eva.  And cli_nearest(). */
#include "any.h"

/* Of libraries whose headers prove.sh makes empty. */
extern const char *const gmp_version, *gsl_version;
const char *mpfr_get_version(void);

#define main real_main
#include "main.c"
#undef main

static const cli_command command = {"gen", "", "", NULL};
static const op_param param[] = {{"k", OP_INT, "2", ""}, {"o", OP_CHOICE, "yes|no", ""}, {0}};

static char text[TEXT + 1];

static void conditions(void)
{
    where_list where = {.count = sizeof where.text / sizeof *where.text - 1}; /* room for one more */
    cli_add_where(&command, &where, text);
    cli_add_where(&command, &where, text);
    meets("k=2|3", text);
    among(text, "2", 1);
    is_number(&param[0], text, strlen(text));
}

int main(void)
{
    uint64_t seed;
    int jobs;
    Frama_C_make_unknown(text, TEXT);
    cli_parse_seed(text, &seed);
    cli_parse_jobs(&command, &jobs, text);
    conditions();
    return 0;
}
