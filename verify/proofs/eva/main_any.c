/* What the command line takes as free text: numbers, lists of names and conditions (--where). */
#define ANY_COMPARED
#include "any.h"

/* Of libraries whose headers prove.sh makes empty. */
extern const char *const gmp_version, *gsl_version;
const char *mpfr_get_version(void);

#define main real_main
#include "main.c"
#undef main

static const cli_command command = {"gen", "", "", NULL};
static const op_param param[] = {{"k", OP_INT, "2", ""}, {"o", OP_CHOICE, "yes|no", ""}, {0}};
static const op_record op = {.id = "op", .param = param};
const twin_profile twin_profiles[] = {{.name = "0"}, {.name = "1"}, {.name = "2"}, {.name = "3"}, {.name = "4"},
                                      {.name = "5"}, {.name = "6"}, {.name = "7"}, {.name = "8"}, {.name = NULL}};

static char text[TEXT + 1];

/* Lists of up to 3 suites, of up to 2 precisions, of which there are more than there is room for, and of up to 3 more names where
 * there is room for one. */
static void names(void)
{
    name_list suites = {.count = 0};
    static const char *const known[] = {"0", "1", "2", "3", "4", "5", "6", "7", NULL};
    name_list full = {.count = 7};
    for (size_t i = 0; i < 7; i++) full.name[i] = known[i];
    add_names(&command, &full, text + TEXT - 2, "name", known);
    cli_parse_suites(&command, &suites, text + TEXT - 2);
    cli_parse_precisions(&command, &suites, text + TEXT - 1);
}

static void conditions(void)
{
    where_list where = {.count = sizeof where.text / sizeof *where.text - 1}; /* room for one more */
    cli_add_where(&command, &where, text);
    cli_add_where(&command, &where, text);
    meets("k=2|3", text);
    all_default(&op, text);
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
    names();
    return 0;
}
