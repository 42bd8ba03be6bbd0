/* Heat maps by gnuplot (see cka.h).  gnuplot reads a script without a name and writes the image to a pipe: no file name and no
 * shell is involved, and labels are quoted so that they stay text. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cka.h"

enum { NUMBERED = 16, LABELLED = 48 }; /* up to so many representations have their values, their names, shown */

static bool ends_in(const char *path, const char *suffix)
{
    const size_t n = strlen(path), m = strlen(suffix);
    return n > m && strcmp(path + n - m, suffix) == 0;
}

bool cka_plot_format(const char *path) { return ends_in(path, ".svg") || ends_in(path, ".png"); }

/* --- the script --------------------------------------------------------------------------------------------------- */

/* In single quotes gnuplot expands nothing; a quote is doubled.  What is not printable ASCII or is not UTF-8's is a '?'. */
static void print_quoted(FILE *f, const char *text, size_t most)
{
    const size_t n = strlen(text);
    fputc('\'', f);
    if (n > most) {
        fputs("...", f);
        text += n - most + 3;
    }
    for (; *text; text++) {
        const unsigned char ch = (unsigned char)*text;
        if (ch == '\'') fputc('\'', f);
        fputc(ch < 0x20 || ch == 0x7f ? '?' : ch, f);
    }
    fputc('\'', f);
}

static void print_labels(FILE *f, const cka_report *c, const char *axis)
{
    const size_t R = c->r->R;
    fprintf(f, "set %stics scale 0 (", axis);
    for (size_t i = 0; i < R; i++) {
        fputs(i ? ", " : "", f);
        print_quoted(f, R <= LABELLED ? c->d->matrix[i].label : "", 28);
        fprintf(f, " %zu", i);
    }
    fputs(")\n", f);
}

/* `x y value` of every cell. */
static void print_cells(FILE *f, const cka_report *c, const char *name, bool shared)
{
    const size_t R = c->r->R;
    fprintf(f, "$%s << END\n", name);
    for (size_t i = 0; i < R; i++) {
        for (size_t j = 0; j < R; j++) {
            if (shared)
                fprintf(f, "%zu %zu %zu\n", j, i, c->routing->shared[i * R + j]);
            else
                fprintf(f, "%zu %zu %.6f\n", j, i, c->r->cka[i * R + j]);
        }
        fputc('\n', f);
    }
    fputs("END\n", f);
}

/* From light to dark in even steps of lightness, readable in grey and for the colour-blind. */
static const char palette[] = "set palette defined (0 '#fff7e6', 0.2 '#fdd5a0', 0.4 '#f79a6b', 0.6 '#d6566f', "
                              "0.8 '#8a2f7f', 1 '#2f1352')\n";

/* Least and greatest values: [0,1] for CKA unless some value lies outside. */
static void find_range(const cka_report *c, bool shared, double *low, double *high)
{
    const size_t R = c->r->R;
    *low = 0;
    *high = 1;
    for (size_t k = 0; k < R * R; k++) {
        if (shared && k % (R + 1) == 0) continue; /* the experts' loads would drown what is shared */
        const double v = shared ? (double)c->routing->shared[k] : c->r->cka[k];
        if (v < *low) *low = v;
        if (v > *high) *high = v;
    }
}

static void print_map(FILE *f, const cka_report *c, const char *title, const char *name, bool shared)
{
    const size_t R = c->r->R;
    double low, high;
    find_range(c, shared, &low, &high);
    const double middle = (low + high) / 2;
    fprintf(f, "set title \"%s\" noenhanced\nset cblabel '%s'\nset cbrange [%.6g:%.6g]\n", title,
            shared ? "samples that chose both" : "CKA", low, high);
    fprintf(f, "plot $%s using 1:2:3 with image pixels notitle", name);
    if (R <= NUMBERED)
        fprintf(f,
                ", $%s using 1:2:(sprintf('%s', $3)):($3 > %.6g ? 0xffffff : 0x202020) with labels font ',9' "
                "textcolor rgb variable notitle",
                name, shared ? "%d" : "%.2f", middle);
    fputc('\n', f);
}

static void print_script(FILE *f, const char *path, const cka_report *c)
{
    const size_t R = c->r->R;
    const int maps = c->routing ? 2 : 1;
    const size_t side = R <= 8 ? 520 : R <= NUMBERED ? 760 : 900, width = side + 90;
    char kernel[CKA_TEXT], estimator[CKA_TEXT], title[2 * CKA_TEXT], both[80];
    fprintf(f, "set encoding utf8\nset terminal %s size %zu,%zu font 'sans,11' background rgb 'white'\n",
            ends_in(path, ".svg") ? "svg" : "pngcairo", width * (size_t)maps, side);
    fprintf(f,
            "%sset size ratio -1\nset xrange [-0.5:%zu.5]\nset yrange [%zu.5:-0.5]\nset xtics noenhanced\n"
            "set ytics noenhanced\nset border 0\n",
            palette, R - 1, R - 1);
    print_labels(f, c, "x");
    print_labels(f, c, "y");
    fputs("set xtics rotate by 90 right\n", f);
    print_cells(f, c, "cka", false);
    snprintf(title, sizeof title, "CKA, %s,\\n%s, n = %zu", cka_kernel_text(c->q, kernel),
             cka_estimator_text(c, estimator), c->r->n);
    if (c->routing) {
        snprintf(both, sizeof both, "Samples that two experts share,\\ntop-%zu routing, n = %zu", c->routing->K,
                 c->routing->T);
        print_cells(f, c, "shared", true);
        fputs("set multiplot layout 1,2\n", f);
        print_map(f, c, both, "shared", true);
    }
    print_map(f, c, title, "cka", false);
    if (c->routing) fputs("unset multiplot\n", f);
}

/* --- gnuplot ------------------------------------------------------------------------------------------------------ */

/* Runs gnuplot -d on the script, its output to `out`, its messages to `log`; its status, or -1. */
static int run_gnuplot(int script, int out, int log)
{
    const pid_t pid = fork();
    if (pid < 0) return -1;
    if (pid == 0) {
        if (dup2(script, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0) _exit(126);
        execlp("gnuplot", "gnuplot", "-d", "-", (char *)NULL);
        _exit(errno == ENOENT ? 127 : 126);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* All that is in a file, malloc'd. */
static int take_all(FILE *f, unsigned char **bytes, size_t *n)
{
    if (fseek(f, 0, SEEK_END) != 0) return -1;
    const long end = ftell(f);
    if (end < 0) return -1;
    rewind(f);
    *n = (size_t)end;
    *bytes = malloc(*n + 1);
    if (*bytes == NULL) return -1;
    (*bytes)[*n] = '\0';
    if (fread(*bytes, 1, *n, f) == *n) return 0;
    free(*bytes);
    *bytes = NULL;
    return -1;
}

/* The last line that gnuplot complained in. */
static int complain(FILE *log, int status, char *err, size_t errlen)
{
    unsigned char *text = NULL;
    size_t n = 0;
    char q[TENSOR_QUOTED] = "\"\"";
    if (status == 127) return tensor_fail(err, errlen, "gnuplot is not on PATH: --plot needs it (Debian: gnuplot-nox)");
    if (take_all(log, &text, &n) == 0) {
        while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' ')) text[--n] = '\0';
        const char *last = strrchr((char *)text, '\n');
        tensor_quote(q, last ? last + 1 : (char *)text);
    }
    free(text);
    return tensor_fail(err, errlen, "gnuplot failed (status %d): %s", status, q);
}

static int draw(FILE *script, FILE *out, FILE *log, unsigned char **bytes, size_t *n, char *err, size_t errlen)
{
    if (fflush(script) != 0 || ferror(script) || lseek(fileno(script), 0, SEEK_SET) != 0)
        return tensor_fail(err, errlen, "a temporary file cannot be written: %s", strerror(errno));
    const int status = run_gnuplot(fileno(script), fileno(out), fileno(log));
    if (status != 0) return complain(log, status, err, errlen);
    if (take_all(out, bytes, n) != 0) return tensor_fail(err, errlen, "the heat map cannot be read back");
    if (*n > 0) return 0;
    free(*bytes);
    *bytes = NULL;
    return complain(log, status, err, errlen);
}

static int with_files(const char *path, const cka_report *c, unsigned char **bytes, size_t *n, char *err, size_t errlen)
{
    FILE *script = tmpfile(), *out = tmpfile(), *log = tmpfile();
    int result;
    if (!script || !out || !log) {
        result = tensor_fail(err, errlen, "a temporary file cannot be made: %s", strerror(errno));
    } else {
        if (c)
            print_script(script, path, c);
        else
            fputs("set print '-'\nprint 1\n", script);
        result = draw(script, out, log, bytes, n, err, errlen);
    }
    if (script) fclose(script);
    if (out) fclose(out);
    if (log) fclose(log);
    return result;
}

int cka_plot(const char *path, const cka_report *c, unsigned char **bytes, size_t *n, char *err, size_t errlen)
{
    return with_files(path, c, bytes, n, err, errlen);
}

int cka_plot_possible(char *err, size_t errlen)
{
    unsigned char *bytes = NULL;
    size_t n = 0;
    const int result = with_files("", NULL, &bytes, &n, err, errlen);
    free(bytes);
    return result;
}
