/* See judge_large.h. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "digest.h"
#include "judge_large.h"
#include "prompt.h"
#include "verdict_large.h"

enum { PATH = 4096 };
enum { PROMPT, EXPECTED, FILES };

typedef struct {
    enum { JUDGE, DIGEST_BLOCKS, DIGEST_WHOLE } what;
    size_t which; /* piece of the verdict; block of a file */
    int file;
} piece;

struct large_case {
    verdict_large *verdict;
    const manifest_case *mc;
    char path[FILES][PATH];
    block_digests blocks[FILES]; /* if the manifest has digests of blocks */
    size_t pieces;
    piece *piece;
    char why[TENSOR_ERROR]; /* there is no answer */
};

/* --- the answer's files ------------------------------------------------------------------------------------------ */

/* A folder of .npy files, one a tensor, named after the tensors. */
static int open_npy_folder(const char *path, tensor_view *v, char *err, size_t errlen)
{
    DIR *d = opendir(path);
    int status = d ? 0 : tensor_fail(err, errlen, "%.300s: %s", path, strerror(errno));
    for (const struct dirent *e; d && status == 0 && (e = readdir(d));) {
        char file[PATH + 300];
        const size_t n = strlen(e->d_name);
        tensor_view one;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        if (n < 5 || strcmp(e->d_name + n - 4, ".npy") != 0)
            status = tensor_fail(err, errlen, "%.300s: expected TENSOR.npy files and nothing else", file);
        else
            status = tensor_view_open(file, &one, err, errlen);
        if (status != 0) break;
        if (one.head.tensors != 1) status = tensor_fail(err, errlen, "%.300s: expected one tensor", file);
        if (status == 0 && tensor_view_take(v, &one) != 0) status = tensor_fail(err, errlen, "out of memory");
        tensor_view_close(&one);
    }
    if (d) closedir(d);
    return status;
}

static int name_single(const op_record *op, tensor_view *v, const char *path, char *err, size_t errlen)
{
    char *name = judge_single_name(op, v->head.tensors, path, err, errlen);
    if (!name) return -1;
    free(v->head.t->name);
    v->head.t->name = name;
    return 0;
}

/* As in tensor_view_open(); -1: there is no usable answer. */
static int open_answer(const char *answers, const manifest_case *mc, tensor_view *v, char *err, size_t errlen)
{
    char path[PATH], index[PATH + 40];
    struct stat s;
    int which, status;
    *v = (tensor_view){0};
    if (judge_find_answer(answers, mc, path, sizeof path, &which, err, errlen) != 0) return -1;
    snprintf(index, sizeof index, "%s/model.safetensors.index.json", path);
    if (which == 4 && stat(index, &s) != 0)
        status = open_npy_folder(path, v, err, errlen);
    else
        status = tensor_view_open(which == 4 ? index : path, v, err, errlen);
    if (status == 0 && which == 2) status = name_single(op_find(mc->op), v, path, err, errlen);
    if (status != 0) tensor_view_close(v);
    return status;
}

/* --- is it large? ------------------------------------------------------------------------------------------------ */

static size_t answer_size(const char *answers, const manifest_case *mc)
{
    char path[PATH], err[TENSOR_ERROR];
    tensor_view v;
    size_t bytes = 0;
    struct stat s;
    int which;
    if (judge_find_answer(answers, mc, path, sizeof path, &which, err, sizeof err) != 0) return 0;
    if (which < 3) return stat(path, &s) == 0 ? (size_t)s.st_size : 0;
    if (open_answer(answers, mc, &v, err, sizeof err) != 0) return 0;
    for (size_t i = 0; i < v.files; i++) bytes += v.file[i].size;
    tensor_view_close(&v);
    return bytes;
}

bool large_case_is(const judge_options *o, const char *dir, const char *answers, const manifest_case *mc)
{
    static const char *const what[FILES] = {"prompt", "expected"};
    char path[PATH];
    struct stat s;
    size_t bytes = 0;
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "%s/%s.%s.safetensors", dir, mc->name, what[i]);
        if (stat(path, &s) == 0) bytes += (size_t)s.st_size;
    }
    return bytes > o->in_memory || bytes + answer_size(answers, mc) > o->in_memory;
}

/* --- pieces ------------------------------------------------------------------------------------------------------ */

static void add_piece(large_case *l, piece x) { l->piece[l->pieces++] = x; }

/* The blocks with these bytes, unless they are listed: what one thread has read to judge is still in the system's cache when
 * another one digests it. */
static void add_blocks(large_case *l, int file, bool *listed, size_t begin, size_t end)
{
    for (size_t i = begin / DIGEST_BLOCK; begin < end && i * DIGEST_BLOCK < end; i++) {
        if (i >= l->blocks[file].blocks || listed[i]) continue;
        listed[i] = true;
        add_piece(l, (piece){DIGEST_BLOCKS, i, file});
    }
}

static int list_verdict(large_case *l)
{
    const size_t n = verdict_large_pieces(l->verdict);
    l->piece = calloc(n + 1, sizeof *l->piece);
    for (size_t i = 0; l->piece && i < n; i++) add_piece(l, (piece){JUDGE, i, 0});
    return l->piece ? 0 : -1;
}

/* The pieces of the verdict, each followed by the digests of all that it reads of golden files.  Without digests of blocks
 * the files are digested whole: that takes one thread all the while, so it comes first. */
static int list_pieces(large_case *l)
{
    const size_t n = verdict_large_pieces(l->verdict), blocks = l->blocks[EXPECTED].blocks + l->blocks[PROMPT].blocks;
    bool *listed = calloc(blocks + 1, sizeof *listed);
    l->piece = calloc(n + blocks + FILES, sizeof *l->piece);
    if (!listed || !l->piece) {
        free(listed);
        return -1;
    }
    for (int file = FILES; !l->mc->expected_blocks && file-- > 0;) add_piece(l, (piece){DIGEST_WHOLE, 0, file});
    add_blocks(l, PROMPT, listed + l->blocks[EXPECTED].blocks, 0, verdict_large_prompt(l->verdict)->header);
    add_blocks(l, EXPECTED, listed, 0, verdict_large_expected(l->verdict)->header);
    for (size_t i = 0; i < n; i++) {
        size_t begin[VERDICT_RANGES], end[VERDICT_RANGES];
        add_piece(l, (piece){JUDGE, i, 0});
        verdict_large_reads(l->verdict, i, begin, end);
        for (int k = 0; k < VERDICT_RANGES; k++) add_blocks(l, EXPECTED, listed, begin[k], end[k]);
    }
    free(listed);
    return 0;
}

size_t large_case_pieces(const large_case *l) { return l->pieces; }

static int check_whole(const large_case *l, int file, char *err, size_t errlen)
{
    char hex[65];
    const char *want = file == PROMPT ? l->mc->prompt_sha256 : l->mc->expected_sha256;
    if (tensor_file_sha256(l->path[file], hex, err, errlen) != 0) return -1;
    if (strcmp(hex, want) == 0) return 0;
    return tensor_fail(err, errlen,
                       "%s: has changed since the manifest was written (SHA-256 is %.12s..., expected %.12s...)",
                       l->path[file], hex, want);
}

int large_case_work(large_case *l, size_t i, char *err, size_t errlen)
{
    const piece *x = &l->piece[i];
    switch (x->what) {
    case DIGEST_BLOCKS:
        return block_digests_check(&l->blocks[x->file], x->which,
                                   x->file == PROMPT ? l->mc->prompt_blocks : l->mc->expected_blocks, err, errlen);
    case DIGEST_WHOLE:
        return check_whole(l, x->file, err, errlen);
    case JUDGE:
        break;
    }
    return verdict_large_judge(l->verdict, x->which, err, errlen);
}

/* --- from the files to the verdict ------------------------------------------------------------------------------- */

void large_case_free(large_case *l)
{
    if (!l) return;
    verdict_large_free(l->verdict);
    for (int i = 0; i < FILES; i++) block_digests_close(&l->blocks[i]);
    free(l->piece);
    free(l);
}

static int open_golden(large_case *l, verdict_files *f, char *err, size_t errlen)
{
    const op_record *op = op_find(l->mc->op);
    if (!op) return 1; /* which load_golden() says */
    int status = tensor_view_open(l->path[PROMPT], &f->prompt, err, errlen);
    if (status != 0) return status;
    f->c = op_case_shapes_from_prompt(l->path[PROMPT], op, &f->prompt.head, err, errlen);
    if (!f->c || judge_check_parameters(l->mc, f->c, l->path[PROMPT], err, errlen) != 0) return -1;
    status = tensor_view_open(l->path[EXPECTED], &f->expected, err, errlen);
    for (int i = 0; i < FILES && status == 0 && l->mc->expected_blocks; i++) {
        const char *digests = i == PROMPT ? l->mc->prompt_blocks : l->mc->expected_blocks;
        status = block_digests_open(l->path[i], &l->blocks[i], err, errlen);
        if (status == 0 && strlen(digests) != l->blocks[i].blocks * DIGEST_HEX)
            status =
                tensor_fail(err, errlen, "%s: has changed since the manifest was written (%zu blocks, expected %zu)",
                            l->path[i], l->blocks[i].blocks, strlen(digests) / DIGEST_HEX);
    }
    return status;
}

int large_case_open(large_case **to, const judge_options *o, const char *dir, const char *answers,
                    const manifest_case *mc, const char *name, char *err, size_t errlen)
{
    large_case *l = calloc(1, sizeof *l);
    verdict_files f = {0};
    *to = NULL;
    if (!l) return tensor_fail(err, errlen, "%s: out of memory", name);
    l->mc = mc;
    for (int i = 0; i < FILES; i++) l->blocks[i].fd = -1;
    snprintf(l->path[PROMPT], PATH, "%s/%s.prompt.safetensors", dir, mc->name);
    snprintf(l->path[EXPECTED], PATH, "%s/%s.expected.safetensors", dir, mc->name);
    int status = open_golden(l, &f, err, errlen);
    if (status == 0) {
        const int answered = open_answer(answers, mc, &f.answer, l->why, sizeof l->why);
        if (answered > 0) status = 1;
        if (answered < 0 && cli_no_memory(l->why)) status = tensor_fail(err, errlen, "%s", l->why);
    }
    if (status == 0)
        status = verdict_large_open(&l->verdict, name, &f, o->precision, o->forward, err, errlen);
    else
        verdict_files_close(&f);
    if (status == 0 && (o->verified ? list_verdict(l) : list_pieces(l)) != 0)
        status = tensor_fail(err, errlen, "%s: out of memory", name);
    if (status != 0)
        large_case_free(l);
    else
        *to = l;
    return status;
}

int large_case_end(large_case *l, verdict_case *v)
{
    const int status = verdict_large_end(l->verdict, v);
    if (status == 0 && *l->why) verdict_fail(v, l->why, NULL);
    return status;
}
