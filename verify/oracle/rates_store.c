/* The file of results of `smoeref rates` (see rates.h). */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd.h"
#include "rates.h"

static int say(char *err, size_t errlen, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int say(char *err, size_t errlen, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(err, errlen, format, ap);
    va_end(ap);
    return -1;
}

/* --- lines -------------------------------------------------------------------------------------------------------- */

/* The CRC-32 of zlib and PNG. */
static uint32_t crc32_of(const char *bytes, size_t n)
{
    uint32_t c = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        c ^= (unsigned char)bytes[i];
        for (int bit = 0; bit < 8; bit++) c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
    }
    return ~c;
}

static const char seal[] = ",\"crc32\":\""; /* then 8 digits and "} */
enum { SEAL = sizeof seal - 1, SEALED = SEAL + 8 + 2 };

/* {"a":1}  becomes  {"a":1,"crc32":"........"}\n, the sum being of  {"a":1 .  Takes the object's reference. */
static char *sealed_line(json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL, *line = NULL;
    json_decref(object);
    if (!text) return NULL;
    const size_t n = strlen(text) - 1;
    if (asprintf(&line, "%.*s%s%08x\"}\n", (int)n, text, seal, (unsigned)crc32_of(text, n)) < 0) line = NULL;
    free(text);
    return line;
}

/* Is a line of n bytes, without its newline, as it was written?  No: it is torn or altered. */
static bool is_whole(const char *line, size_t n)
{
    char sum[9];
    if (n < SEALED || memcmp(line + n - SEALED, seal, SEAL) != 0) return false;
    snprintf(sum, sizeof sum, "%08x", (unsigned)crc32_of(line, n - SEALED));
    return memcmp(line + n - 10, sum, 8) == 0;
}

static json_t *open_line(const char *line, size_t n)
{
    return is_whole(line, n) ? json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL) : NULL;
}

static char *plan_line(const rates_plan *plan)
{
    return sealed_line(json_pack("{s:s, s:s, s:I, s:o}", "smoeref", cli_version, "file", "rates", "fits",
                                 (json_int_t)rates_fits(plan), "plan", rates_plan_json(plan)));
}

static json_t *number(const rates_fit *f, double x)
{
    return f->status == FIT_CONVERGED && isfinite(x) ? json_real(x) : json_null();
}

static char *fit_line(const rates_plan *plan, size_t i, const rates_fit *f)
{
    const rates_place at = rates_place_of(plan, i);
    const rates_series *s = &plan->series[at.series];
    json_t *theta = json_array();
    for (size_t j = 0; j < smoe_mix_parameters(&s->fitted) && f->status == FIT_CONVERGED; j++)
        if (json_array_append_new(theta, json_real(f->theta[j])) != 0) {
            json_decref(theta);
            return NULL;
        }
    return sealed_line(json_pack("{s:I, s:s, s:I, s:I, s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "fit",
                                 (json_int_t)i, "series", s->name, "n", (json_int_t)plan->n[at.size], "repeat",
                                 (json_int_t)at.repeat, "status", fit_status_name[f->status], "evaluations",
                                 (json_int_t)f->evaluations, "failed_starts", (json_int_t)f->failed_starts, "loglik",
                                 number(f, f->loglik), "total_variation", number(f, f->variation),
                                 "total_variation_error", number(f, f->variation_error), "hellinger",
                                 number(f, f->hellinger), "voronoi", number(f, f->voronoi), "theta", theta));
}

/* Does a line speak of this place of the plan, with as many parameters as its series has? */
static bool is_place(const rates_plan *plan, rates_place at, const char *series, json_int_t n, json_int_t repeat,
                     bool converged, const json_t *theta)
{
    const rates_series *s = &plan->series[at.series];
    const size_t parameters = converged ? smoe_mix_parameters(&s->fitted) : 0;
    return strcmp(s->name, series) == 0 && n == (json_int_t)plan->n[at.size] && repeat == (json_int_t)at.repeat &&
           json_is_array(theta) && json_array_size(theta) == parameters;
}

/* false: the line does not say what a line of this plan says */
static bool read_fit(const rates_plan *plan, const json_t *line, size_t *number_of, rates_fit *f)
{
    json_int_t i, n, repeat, evaluations, failed;
    const char *status, *series;
    json_t *loglik, *variation, *error, *hellinger, *voronoi, *theta;
    *f = (rates_fit){.done = true, .status = FIT_STATUSES};
    if (json_unpack((json_t *)line, "{s:I, s:s, s:I, s:I, s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "fit", &i,
                    "series", &series, "n", &n, "repeat", &repeat, "status", &status, "evaluations", &evaluations,
                    "failed_starts", &failed, "loglik", &loglik, "total_variation", &variation, "total_variation_error",
                    &error, "hellinger", &hellinger, "voronoi", &voronoi, "theta", &theta) != 0)
        return false;
    for (int s = 0; s < FIT_STATUSES; s++)
        if (strcmp(status, fit_status_name[s]) == 0) f->status = (fit_status)s;
    if (f->status == FIT_STATUSES || i < 0 || (size_t)i >= rates_fits(plan) || evaluations < 0 || failed < 0)
        return false;
    if (!is_place(plan, rates_place_of(plan, (size_t)i), series, n, repeat, f->status == FIT_CONVERGED, theta))
        return false;
    f->evaluations = (size_t)evaluations;
    f->failed_starts = (size_t)failed;
    f->loglik = json_number_value(loglik); /* null is 0 */
    f->variation = json_number_value(variation);
    f->variation_error = json_number_value(error);
    f->hellinger = json_number_value(hellinger);
    f->voronoi = json_number_value(voronoi);
    for (size_t j = 0; j < json_array_size(theta); j++)
        f->theta[j] = json_number_value(json_array_get(theta, j));
    *number_of = (size_t)i;
    return true;
}

/* --- files -------------------------------------------------------------------------------------------------------- */

/* All of a file, or NULL; errno says why. */
static char *read_all(int file, size_t *n)
{
    struct stat s;
    if (fstat(file, &s) != 0) return NULL;
    char *bytes = malloc((size_t)s.st_size + 1);
    *n = 0;
    while (bytes && *n < (size_t)s.st_size) {
        const ssize_t got = pread(file, bytes + *n, (size_t)s.st_size - *n, (off_t)*n);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            free(bytes);
            return NULL;
        }
        if (got == 0) break;
        *n += (size_t)got;
    }
    return bytes;
}

static size_t line_length(const char *at, const char *end)
{
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    return newline ? (size_t)(newline - at) : (size_t)(end - at);
}

/* Are two texts, both of which are freed, the same?  No memory for one of them: -1. */
static int same_text(char *x, char *y)
{
    const int same = x && y ? strcmp(x, y) == 0 : -1;
    free(x);
    free(y);
    return same;
}

/* Fills in the results of the lines after the first; torn ones are passed over. */
static int read_fits(const char *path, const rates_plan *plan, const char *at, const char *end, rates_fit *results,
                     char *err, size_t errlen)
{
    size_t number = 1;
    for (size_t n; at < end; at += n + 1) {
        rates_fit f;
        size_t i;
        number++;
        n = line_length(at, end);
        if (!is_whole(at, n)) continue;
        json_t *line = json_loadb(at, n, JSON_REJECT_DUPLICATES, NULL);
        const bool good = line && read_fit(plan, line, &i, &f);
        json_decref(line);
        if (!good) return say(err, errlen, "%s: line %zu does not belong to its plan", path, number);
        /* Two numbers for one fit mean that something is wrong: another machine's GSL, or an altered file. */
        const int same = results[i].done ? same_text(fit_line(plan, i, &results[i]), fit_line(plan, i, &f)) : 1;
        if (same < 0) return say(err, errlen, "%s: out of memory", path);
        if (!same) return say(err, errlen, "%s: fit %zu is there with two different results", path, i);
        results[i] = f;
    }
    return 0;
}

/* The plan of a file's first line. */
static int read_plan(const char *path, const char *bytes, size_t n, rates_plan *plan, char *err, size_t errlen)
{
    char text[RATES_TEXT];
    const char *version = NULL, *wrong = "it is not a file of smoeref rates";
    json_t *line = open_line(bytes, n), *object = NULL;
    if (line && json_unpack(line, "{s:s, s:o}", "smoeref", &version, "plan", &object) == 0)
        wrong = strcmp(version, cli_version) != 0 ? "another version of smoeref wrote it"
                                                  : rates_plan_from_json(plan, object, text);
    int status = wrong ? say(err, errlen, "%s: %s", path, wrong) : 0;
    json_decref(line);
    return status;
}

/* The plan of this file in a few words, for messages. */
static char *plan_text(const rates_plan *plan)
{
    json_t *o = rates_plan_json(plan);
    char *text = json_dumps(o, 0);
    json_decref(o);
    return text;
}

static int create(const char *path, const rates_plan *plan, char *err, size_t errlen)
{
    char *line = plan_line(plan);
    if (!line) return say(err, errlen, "out of memory");
    const int status = cli_write_file(path, line, strlen(line), err, errlen);
    free(line);
    return status;
}

static int lock(const rates_store *s, char *err, size_t errlen)
{
    const struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(s->file, F_SETLK, &whole) == 0) return 0;
    if (errno == EACCES || errno == EAGAIN) return say(err, errlen, "%s: another process is working on it", s->path);
    return say(err, errlen, "%s: cannot lock: %s", s->path, strerror(errno));
}

static int check_plan(const char *path, const rates_plan *plan, const rates_plan *theirs, char *err, size_t errlen)
{
    char *ours = plan_text(plan), *text = plan_text(theirs);
    int status = 0;
    if (!ours || !text) status = say(err, errlen, "%s: out of memory", path);
    else if (strcmp(ours, text) != 0) status = say(err, errlen, "%s: holds another experiment, %s", path, text);
    free(ours);
    free(text);
    return status;
}

/* In one call, so that lines of several processes do not mix. */
static int put(const rates_store *s, const char *text, size_t n, char *err, size_t errlen)
{
    ssize_t done;
    do done = write(s->file, text, n);
    while (done < 0 && errno == EINTR);
    if (done == (ssize_t)n) return 0;
    return say(err, errlen, "%s: cannot write: %s", s->path, done < 0 ? strerror(errno) : "no space for a line");
}

/* Reads what is there, and ends a torn last line, so that the next one begins a line of its own. */
static int take_up(const rates_store *s, const rates_plan *plan, rates_fit *results, char *err, size_t errlen)
{
    size_t n;
    rates_plan theirs;
    char *bytes = read_all(s->file, &n);
    if (!bytes) return say(err, errlen, "%s: cannot read: %s", s->path, strerror(errno));
    const size_t first = line_length(bytes, bytes + n);
    int status = read_plan(s->path, bytes, first, &theirs, err, errlen);
    if (status == 0) status = check_plan(s->path, plan, &theirs, err, errlen);
    if (status == 0 && first + 1 < n)
        status = read_fits(s->path, plan, bytes + first + 1, bytes + n, results, err, errlen);
    if (status == 0 && bytes[n - 1] != '\n') status = put(s, "\n", 1, err, errlen);
    free(bytes);
    return status;
}

int rates_store_open(rates_store *s, const char *path, const rates_plan *plan, rates_fit *results, char *err,
                     size_t errlen)
{
    struct stat there;
    *s = (rates_store){.path = path, .file = -1};
    if (cli_writable(path, err, errlen) != 0) return -1;
    if (stat(path, &there) == 0 && !S_ISREG(there.st_mode)) return say(err, errlen, "%s: not a regular file", path);
    if (stat(path, &there) != 0 && create(path, plan, err, errlen) != 0) return -1;
    s->file = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
    if (s->file < 0) return say(err, errlen, "%s: cannot open: %s", path, strerror(errno));
    if (lock(s, err, errlen) == 0 && take_up(s, plan, results, err, errlen) == 0) return 0;
    rates_store_close(s);
    return -1;
}

int rates_store_append(const rates_store *s, const rates_plan *plan, size_t i, const rates_fit *fit, char *err,
                       size_t errlen)
{
    char *line = fit_line(plan, i, fit);
    if (!line) return say(err, errlen, "out of memory");
    const int status = put(s, line, strlen(line), err, errlen);
    free(line);
    return status;
}

/* All that the file should hold. */
static char *whole_text(const rates_plan *plan, const rates_fit *results, size_t *n)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, n);
    char *line = plan_line(plan);
    bool whole = f && line;
    if (whole) fputs(line, f);
    free(line);
    for (size_t i = 0; i < rates_fits(plan) && whole; i++) {
        if (!results[i].done) continue;
        line = fit_line(plan, i, &results[i]);
        whole = line != NULL;
        if (whole) fputs(line, f);
        free(line);
    }
    const int lost = f ? ferror(f) : 0;
    if (f && (fclose(f) | lost) != 0) whole = false;
    if (whole) return text;
    free(text);
    return NULL;
}

int rates_store_finish(const rates_store *s, const rates_plan *plan, const rates_fit *results, char *err, size_t errlen)
{
    size_t n, old = 0;
    char *text = whole_text(plan, results, &n), *bytes = s->file >= 0 ? read_all(s->file, &old) : NULL;
    int status = text ? 0 : say(err, errlen, "out of memory");
    if (text && !(bytes && old == n && memcmp(bytes, text, n) == 0))
        status = cli_write_file(s->path, text, n, err, errlen);
    free(text);
    free(bytes);
    return status;
}

void rates_store_close(rates_store *s)
{
    if (s->file >= 0) close(s->file);
    s->file = -1;
}

int rates_store_merge(const char *path, rates_plan *plan, rates_fit **results, char *err, size_t errlen)
{
    size_t n = 0;
    rates_plan theirs;
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    char *bytes = file >= 0 ? read_all(file, &n) : NULL;
    const int reason = errno;
    if (file >= 0) close(file);
    if (!bytes) return say(err, errlen, "%s: cannot read: %s", path, strerror(reason));
    const size_t first = line_length(bytes, bytes + n);
    int status = read_plan(path, bytes, first, &theirs, err, errlen);
    const int same = status == 0 && *results ? same_text(plan_text(plan), plan_text(&theirs)) : 1;
    if (same < 0) status = say(err, errlen, "%s: out of memory", path);
    if (same == 0) status = say(err, errlen, "%s: of another experiment than the files before it", path);
    if (status == 0 && !*results) {
        *plan = theirs;
        *results = calloc(rates_fits(plan), sizeof **results);
        if (!*results) status = say(err, errlen, "out of memory");
    }
    if (status == 0 && first + 1 < n)
        status = read_fits(path, plan, bytes + first + 1, bytes + n, *results, err, errlen);
    free(bytes);
    return status;
}
