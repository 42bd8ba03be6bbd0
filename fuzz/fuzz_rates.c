/* A file of results of `smoeref rates` on arbitrary bytes, as `rates merge` reads it, and the options that say what is run.  What is
 * accepted is written, appended to and read again, to the same numbers.  The mutator mends the checksums of lines, so that
 * mutations reach what lies behind them.
 *
 * Files say that this version wrote them: "fuzz".
 */
#include "fuzz.h"

#include <jansson.h>
#include <stdbool.h>

#include "cmd.h"
#include "rates.h"

/* No more fits than this: a plan may ask for any number up to 10^8, and each takes 200 bytes. */
enum { MOST_FITS = 20000 };

/* --- what the parts of the command take from main.c --- */

const char cli_version[] = "fuzz";

int cli_writable(const char *path, char *err, size_t errlen)
{
    (void)path, (void)err, (void)errlen;
    return 0;
}

int cli_write_file(const char *path, const void *bytes, size_t n, char *err, size_t errlen)
{
    FILE *f = fopen(path, "wb");
    if (f == NULL || (n > 0 && fwrite(bytes, n, 1, f) != 1) || fclose(f) != 0) {
        snprintf(err, errlen, "%s: cannot write", path);
        return -1;
    }
    return 0;
}

int cli_input(const char *format, ...)
{
    (void)format;
    return STATUS_INPUT;
}

/* --- what must hold --- */

static void write_scratch(const void *bytes, size_t n)
{
    char err[TENSOR_ERROR];
    if (cli_write_file(scratch_file(), bytes, n, err, sizeof err) != 0) FINDING("%s", err);
}

static void check_refusal(const char *err)
{
    if (strncmp(err, scratch_file(), strlen(scratch_file())) != 0) FINDING("an error without the file's name: %s", err);
    for (const char *s = err; *s != '\0'; s++)
        if (*s < 0x20 || *s > 0x7e) FINDING("an error with a byte %d in it", *s);
}

/* A plan that asks for more fits than there is room for here. */
static bool too_much(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
    rates_plan plan;
    char text[RATES_TEXT];
    json_t *line = json_loadb((const char *)data, end != NULL ? (size_t)(end - data) : size, 0, NULL);
    const json_t *object = json_object_get(line, "plan");
    const bool much = rates_plan_from_json(&plan, object, text) == NULL && rates_fits(&plan) > MOST_FITS;
    json_decref(line);
    return much;
}

static void same(const rates_fit *a, const rates_fit *b)
{
    if (a->done != b->done) FINDING("a result came or went in a round trip");
    if (!a->done) return;
    bool equal = a->status == b->status && a->evaluations == b->evaluations && a->failed_starts == b->failed_starts;
    if (a->status == FIT_CONVERGED)
        equal = equal && a->loglik == b->loglik && a->variation == b->variation && a->hellinger == b->hellinger &&
                a->voronoi == b->voronoi && a->variation_error == b->variation_error;
    if (!equal) FINDING("another result after a round trip");
}

/* To a new file: the plan, the results one by one from the last to the first, then sorted; and back. */
static void round_trip(const rates_plan *plan, const rates_fit *results)
{
    rates_store s;
    rates_plan again = {0};
    char err[TENSOR_ERROR];
    rates_fit *none = calloc(rates_fits(plan) + 1, sizeof *none), *back = NULL;
    unlink(scratch_file());
    if (none == NULL || rates_store_open(&s, scratch_file(), plan, none, err, sizeof err) != 0) FINDING("%s", err);
    for (size_t i = rates_fits(plan); i-- > 0;)
        if (results[i].done && rates_store_append(&s, plan, i, &results[i], err, sizeof err) != 0) FINDING("%s", err);
    if (rates_store_finish(&s, plan, results, err, sizeof err) != 0) FINDING("%s", err);
    rates_store_close(&s);
    if (rates_store_merge(scratch_file(), &again, &back, err, sizeof err) != 0) FINDING("%s", err);
    if (rates_fits(&again) != rates_fits(plan)) FINDING("another plan after a round trip");
    for (size_t i = 0; i < rates_fits(plan); i++) same(&results[i], &back[i]);
    free(none);
    free(back);
}

static void accepted(const rates_plan *plan, const rates_fit *results)
{
    if (plan->sizes < 2 || plan->sizes > RATES_SIZES || plan->series_count > RATES_SERIES || plan->repeats < 2)
        FINDING("a plan that makes no sense");
    for (size_t i = 1; i < plan->sizes; i++)
        if (plan->n[i] <= plan->n[i - 1]) FINDING("sizes that do not ascend");
    for (size_t i = 0; i < rates_fits(plan); i++)
        if (results[i].done && results[i].status >= FIT_STATUSES) FINDING("a status that there is not");
    for (size_t s = 0; s < plan->series_count; s++)
        for (int m = 0; m < RATES_MEASURES; m++) (void)rates_slope_of(plan, results, s, (rates_measure)m);
    round_trip(plan, results);
}

/* --sizes and --estimators: a refusal is a sentence, and what is accepted can be finished. */
static void options(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), more[RATES_TEXT];
    rates_plan plan;
    if (text == NULL || !rates_plan_start(&plan, "exact")) abort();
    if (size > 0) memcpy(text, data, size);
    text[size] = '\0';
    if (rates_plan_sizes(&plan, text) != NULL) plan.sizes = 0;
    if (plan.sizes > RATES_SIZES || plan.sizes == 1) FINDING("%zu sizes of '%s'", plan.sizes, text);
    (void)rates_plan_estimators(&plan, text);
    const char *wrong = rates_plan_finish(&plan, more);
    if (wrong == NULL && (plan.series_count == 0 || rates_fits(&plan) == 0)) FINDING("nothing to run for '%s'", text);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rates_plan plan = {0};
    rates_fit *results = NULL;
    char err[TENSOR_ERROR] = "";
    options(data, size);
    if (too_much(data, size)) return 0;
    write_scratch(data, size);
    if (rates_store_merge(scratch_file(), &plan, &results, err, sizeof err) != 0)
        check_refusal(err);
    else
        accepted(&plan, results);
    free(results);
    unlink(scratch_file());
    return 0;
}

#ifdef FUZZ_ENGINE
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

static uint32_t crc32_of(const uint8_t *p, size_t n)
{
    uint32_t c = 0xffffffff;
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int bit = 0; bit < 8; bit++) c = c >> 1 ^ (c & 1 ? 0xedb88320 : 0);
    }
    return ~c;
}

/* The eight digits of a line that ends in  ,"crc32":"........"} */
static void mend(uint8_t *line, size_t n)
{
    static const char seal[] = ",\"crc32\":\"";
    char digits[9];
    if (n < 20 || memcmp(line + n - 20, seal, 10) != 0 || memcmp(line + n - 2, "\"}", 2) != 0) return;
    snprintf(digits, sizeof digits, "%08x", (unsigned)crc32_of(line, n - 20));
    memcpy(line + n - 10, digits, 8);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    size = LLVMFuzzerMutate(data, size, most);
    for (size_t at = 0; seed % 8 != 0 && at < size;) {
        const uint8_t *newline = memchr(data + at, '\n', size - at);
        const size_t n = newline != NULL ? (size_t)(newline - data) - at : size - at;
        mend(data + at, n);
        at += n + 1;
    }
    return size;
}
#endif
