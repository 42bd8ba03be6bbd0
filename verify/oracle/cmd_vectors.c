/* smoeref vectors: are golden cases still what they were when they were written? */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd.h"
#include "digest.h"
#include "manifest.h"
#include "tensorfile.h"

enum { PATH = 4096 };

enum { OPTION_SHA256 };
static const cli_option options[] = {
    [OPTION_SHA256] = {"--sha256", "HEX", "verify: the digest that the folder must have, 64 hex digits"},
    {NULL, NULL, NULL},
};
static const cli_command command = {
    "vectors",
    "verify DIR [--sha256 HEX] | digest DIR",
    "verify: every file of the golden cases in DIR is there and has the SHA-256 that its manifest states, and nothing "
    "else is\n"
    "there.  The manifest itself is pinned by --sha256.  digest: prints the SHA-256 of DIR/manifest.json, which pins "
    "every\n"
    "byte of the cases; write it where the folder cannot change it.",
    options,
};

typedef struct {
    const char *dir;
    manifest m;
    size_t wrong;
    int status; /* not 0: a file could not be read, of which nothing can be said */
} vectors;

/* One line about one file; it counts. */
static void say(vectors *v, const char *file, const char *what)
{
    printf("FAIL %s/%s: %s\n", v->dir, file, what);
    v->wrong++;
}

/* A manifest that contradicts itself. */
static void check_blocks(vectors *v, const char *file, const char *path, const char *blocks)
{
    char err[TENSOR_ERROR], *got = file_block_digests(path, err, sizeof err);
    if (!got)
        v->status = cli_input("%s", err);
    else if (strcmp(got, blocks) != 0)
        say(v, file, "the SHA-256s of its blocks are not those of the manifest");
    free(got);
}

static void check_file(vectors *v, const char *file, const char *expected, const char *blocks)
{
    char path[PATH + 300], got[65], err[TENSOR_ERROR], what[160];
    struct stat s;
    snprintf(path, sizeof path, "%s/%s", v->dir, file);
    if (lstat(path, &s) != 0)
        say(v, file, errno == ENOENT ? "is missing" : strerror(errno));
    else if (!S_ISREG(s.st_mode))
        say(v, file, "is no regular file");
    else if (tensor_file_sha256(path, got, err, sizeof err) != 0)
        v->status = cli_input("%s", err);
    else if (strcmp(got, expected) != 0) {
        snprintf(what, sizeof what, "SHA-256 is %.12s..., expected %.12s...", got, expected);
        say(v, file, what);
    } else if (blocks)
        check_blocks(v, file, path, blocks);
}

static void case_file(char file[MANIFEST_NAME + 40], const manifest_case *c, const char *what)
{
    snprintf(file, MANIFEST_NAME + 40, "%s.%s.safetensors", c->name, what);
}

static bool expected(const manifest *m, const char *file)
{
    static const char *const ending[] = {".prompt.safetensors", ".expected.safetensors"};
    const size_t n = strlen(file);
    if (strcmp(file, "manifest.json") == 0) return true;
    for (size_t e = 0; e < 2; e++) {
        const size_t length = strlen(ending[e]);
        if (n <= length || strcmp(file + n - length, ending[e]) != 0) continue;
        for (size_t i = 0; i < m->cases; i++)
            if (strncmp(m->c[i].name, file, n - length) == 0 && m->c[i].name[n - length] == '\0') return true;
    }
    return false;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* What is in the folder besides: said in the order of the names. */
static int check_extra(vectors *v)
{
    DIR *d = opendir(v->dir);
    char **extra = NULL, quoted[TENSOR_QUOTED];
    size_t n = 0;
    int status = d ? 0 : cli_input("%s: %s", v->dir, strerror(errno));
    for (const struct dirent *e; status == 0 && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || expected(&v->m, e->d_name)) continue;
        char **grown = realloc(extra, (n + 1) * sizeof *grown);
        if (grown) extra = grown;
        if (!grown || !(extra[n] = strdup(e->d_name)))
            status = cli_input("out of memory");
        else
            n++;
    }
    if (d) closedir(d);
    if (n > 0) qsort(extra, n, sizeof *extra, by_name);
    for (size_t i = 0; i < n; i++) {
        printf("FAIL %s: %s is not in the manifest\n", v->dir, tensor_quote(quoted, extra[i]));
        v->wrong++;
        free(extra[i]);
    }
    free(extra);
    return status;
}

static int manifest_path(const char *dir, char path[PATH + 20])
{
    if (strlen(dir) >= PATH) return cli_input("the folder's name is too long");
    snprintf(path, PATH + 20, "%s/manifest.json", dir);
    return 0;
}

static int verify(const char *dir, const char *pinned)
{
    char path[PATH + 20], got[65], file[MANIFEST_NAME + 40], err[TENSOR_ERROR];
    vectors v = {.dir = dir};
    int status = manifest_path(dir, path);
    if (status == 0 && tensor_file_sha256(path, got, err, sizeof err) != 0) status = cli_input("%s", err);
    if (status == 0 && pinned && strcmp(got, pinned) != 0) {
        printf("FAIL %s: SHA-256 is %s, expected %s\n", path, got, pinned);
        return STATUS_FAIL; /* what it states of the other files is of no interest */
    }
    if (status == 0 && manifest_read(path, &v.m, err, sizeof err) != 0) status = cli_input("%s", err);
    if (status != 0) return status;
    for (size_t i = 0; i < v.m.cases; i++) {
        case_file(file, &v.m.c[i], "prompt");
        check_file(&v, file, v.m.c[i].prompt_sha256, v.m.c[i].prompt_blocks);
        case_file(file, &v.m.c[i], "expected");
        check_file(&v, file, v.m.c[i].expected_sha256, v.m.c[i].expected_blocks);
    }
    status = check_extra(&v);
    if (status == 0) status = v.status;
    if (status == 0) printf("%s: %zu cases, %zu wrong files, SHA-256 %s\n", dir, v.m.cases, v.wrong, got);
    manifest_clear(&v.m);
    return status ? status : v.wrong > 0 ? STATUS_FAIL : STATUS_PASS;
}

static int digest(const char *dir)
{
    char path[PATH + 20], got[65], err[TENSOR_ERROR];
    const int status = manifest_path(dir, path);
    if (status != 0) return status;
    if (tensor_file_sha256(path, got, err, sizeof err) != 0) return cli_input("%s", err);
    puts(got);
    return STATUS_PASS;
}

int cmd_vectors(int argc, char **argv)
{
    cli p = cli_start(&command, argc, argv);
    const char *value, *word[2] = {NULL, NULL}, *pinned = NULL;
    size_t words = 0;
    for (int option; (option = cli_next(&p, &value)) != CLI_END;) {
        if (option == CLI_STOP) return p.status;
        if (option == OPTION_SHA256)
            pinned = value;
        else if (words == 2)
            return cli_usage(&command, "one folder is expected, found '%.80s' too", value);
        else
            word[words++] = value;
    }
    if (words < 2) return cli_usage(&command, "expected verify or digest, and a folder");
    const bool verifies = strcmp(word[0], "verify") == 0;
    if (!verifies && strcmp(word[0], "digest") != 0)
        return cli_usage(&command, "'%.40s' is neither verify nor digest", word[0]);
    if (pinned && !verifies) return cli_usage(&command, "--sha256 is for verify");
    if (pinned && (strlen(pinned) != 64 || strspn(pinned, "0123456789abcdef") != 64))
        return cli_usage(&command, "--sha256 is '%.80s', expected 64 lower-case hex digits", pinned);
    return verifies ? verify(word[1], pinned) : digest(word[1]);
}
