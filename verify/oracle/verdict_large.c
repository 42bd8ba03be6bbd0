/* See verdict_large.h. */
#include "verdict_large.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verdict_parts.h"

enum { PIECE = 1 << 18 }; /* elements, or scores, of a piece: some milliseconds of work */
enum { BLOCK = 1 << 14 }; /* of these as many are in memory at a time, and stay in the cache */
_Static_assert(BLOCK % VERDICT_CHUNK == 0, "room for a block is room for its chunks");

typedef struct {
    size_t tensor; /* of the verdict */
    size_t first, n; /* elements; rows of a decision */
} piece;

struct verdict_large {
    verdict_files f;
    const twin_profile *p;
    verdict_case v;
    size_t pieces;
    piece *piece;
    pthread_mutex_t lock; /* of all below, and of v */
    size_t ambiguous;
    bool differ;
};

/* --- where things are -------------------------------------------------------------------------------------------- */

static size_t experts(const op_case *c)
{
    for (size_t i = 0; i < c->dims; i++)
        if (c->dim_name[i] == 'N') return c->dim_size[i];
    return 0;
}

static size_t row_length(const verdict_tensor *t) { return t->rank > 0 ? t->dim[t->rank - 1] : 1; }

static size_t rows_of(const verdict_tensor *t)
{
    size_t rows = 1;
    for (size_t i = 0; i + 1 < t->rank; i++) rows *= t->dim[i];
    return rows;
}

/* Tensors of the expected file by their names; head.tensors if there is no such. */
static size_t golden_place(const verdict_large *l, const verdict_tensor *t)
{
    return tensor_view_find(&l->f.expected, t->name);
}

static size_t place_named(const verdict_large *l, const char *prefix, const char *name)
{
    char full[200];
    snprintf(full, sizeof full, prefix, l->p->name, name);
    return tensor_view_find(&l->f.expected, full);
}

static size_t bound_place(const verdict_large *l, const verdict_tensor *t)
{
    return place_named(l, "bound.%s.%s", t->name);
}

static size_t score_place(const verdict_large *l, const verdict_tensor *t)
{
    char full[200];
    snprintf(full, sizeof full, "score.%s", t->name);
    return tensor_view_find(&l->f.expected, full);
}

static size_t score_bound_place(const verdict_large *l, const verdict_tensor *t)
{
    return place_named(l, "score_bound.%s.%s", t->name);
}

static bool is_integer(const verdict_large *l, const verdict_tensor *t)
{
    return !t->gradient && (l->f.c->op->out[t->slot].flags & OP_I64);
}

/* --- opening ----------------------------------------------------------------------------------------------------- */

void verdict_files_close(verdict_files *f)
{
    if (f->c) op_case_free(f->c);
    tensor_view_close(&f->prompt);
    tensor_view_close(&f->expected);
    tensor_view_close(&f->answer);
    *f = (verdict_files){0};
}

void verdict_large_free(verdict_large *l)
{
    if (!l) return;
    verdict_files_close(&l->f);
    verdict_case_clear(&l->v);
    pthread_mutex_destroy(&l->lock);
    free(l->piece);
    free(l);
}

static int add_pieces(verdict_large *l, size_t which, size_t count, size_t size)
{
    const size_t more = count / size + 1;
    piece *list = realloc(l->piece, (l->pieces + more) * sizeof *list);
    if (!list) return -1;
    l->piece = list;
    for (size_t first = 0; first < count; first += size)
        list[l->pieces++] = (piece){which, first, count - first < size ? count - first : size};
    return 0;
}

/* How many rows of a decision make a piece, or fit into a block. */
static size_t rows_in(size_t elements, size_t K, size_t N)
{
    const size_t width = N > K ? N : K;
    return width >= elements ? 1 : elements / (width ? width : 1);
}

static int list_pieces(verdict_large *l)
{
    int status = 0;
    for (size_t i = 0; i < l->v.tensors && status == 0; i++) {
        const verdict_tensor *t = &l->v.t[i];
        if (t->slot == OP_TENSORS) continue;
        if (t->kind == OP_DECISION)
            status = add_pieces(l, i, rows_of(t), rows_in(PIECE, row_length(t), experts(l->f.c)));
        else if (t->judged)
            status = add_pieces(l, i, t->count, PIECE);
    }
    return status;
}

int verdict_large_open(verdict_large **to, const char *name, verdict_files *f, const twin_profile *p, bool forward,
                       char *err, size_t errlen)
{
    verdict_large *l = calloc(1, sizeof *l);
    *to = NULL;
    if (!l) {
        verdict_files_close(f);
        return tensor_fail(err, errlen, "%s: out of memory", name);
    }
    l->f = *f;
    l->p = p;
    *f = (verdict_files){0};
    pthread_mutex_init(&l->lock, NULL);
    int status = verdict_golden_find(l->f.c, &l->f.expected.head, l->f.expected.file->path, p, err, errlen);
    if (status == 0) {
        verdict_begin(l->f.c, name, l->f.answer.files ? &l->f.answer.head : NULL, p, forward, &l->v);
        if (list_pieces(l) != 0) status = tensor_fail(err, errlen, "%s: out of memory", name);
    }
    if (status != 0)
        verdict_large_free(l);
    else
        *to = l;
    return status;
}

size_t verdict_large_pieces(const verdict_large *l) { return l->pieces; }

const struct tensor_view_file *verdict_large_expected(const verdict_large *l) { return l->f.expected.file; }

const struct tensor_view_file *verdict_large_prompt(const verdict_large *l) { return l->f.prompt.file; }

void verdict_large_reads(const verdict_large *l, size_t i, size_t begin[VERDICT_RANGES], size_t end[VERDICT_RANGES])
{
    const piece *x = &l->piece[i];
    const verdict_tensor *t = &l->v.t[x->tensor];
    const bool decision = t->kind == OP_DECISION;
    const size_t K = decision ? row_length(t) : 1, N = decision ? experts(l->f.c) : 1;
    const size_t place[VERDICT_RANGES] = {golden_place(l, t), decision ? score_place(l, t) : bound_place(l, t),
                                          score_bound_place(l, t)};
    const size_t width[VERDICT_RANGES] = {K, N, N};
    for (size_t k = 0; k < VERDICT_RANGES; k++) {
        begin[k] = end[k] = 0;
        if (place[k] == l->f.expected.head.tensors) continue;
        begin[k] = l->f.expected.place[place[k]].begin + x->first * width[k] * sizeof(double);
        end[k] = begin[k] + x->n * width[k] * sizeof(double);
    }
}

/* --- judging a piece --------------------------------------------------------------------------------------------- */

static void add(verdict_large *l, size_t which, const verdict_tally *part, size_t first, size_t n, const double *ratio)
{
    pthread_mutex_lock(&l->lock);
    verdict_tally_add(&l->v.t[which], part);
    if (verdict_tally_shows(part)) verdict_tally_heat(&l->v.t[which], first, n, ratio);
    pthread_mutex_unlock(&l->lock);
}

typedef struct {
    double got[BLOCK], golden[BLOCK], bound[BLOCK], ratio[BLOCK];
} float_room;

static int judge_floats(verdict_large *l, const piece *x, float_room *room, char *err, size_t errlen)
{
    const verdict_tensor *t = &l->v.t[x->tensor];
    const tensor_view *expected = &l->f.expected;
    const size_t golden = golden_place(l, t), bound = bound_place(l, t), got = tensor_view_find(&l->f.answer, t->name);
    for (size_t at = 0; at < x->n; at += BLOCK) {
        const size_t first = x->first + at, n = x->n - at < BLOCK ? x->n - at : BLOCK;
        verdict_tally part = {0};
        if (tensor_view_doubles(expected, golden, first, n, room->golden, err, errlen) != 0 ||
            tensor_view_doubles(expected, bound, first, n, room->bound, err, errlen) != 0 ||
            tensor_view_doubles(&l->f.answer, got, first, n, room->got, err, errlen) != 0 ||
            verdict_check_numbers(expected->file->path, t->name, first, n, room->golden, room->bound, err, errlen) != 0)
            return -1;
        verdict_tally_floats(&part, t->kind == OP_EXACT, first, n, room->got, room->golden, room->bound, room->ratio);
        add(l, x->tensor, &part, first, n, room->ratio);
    }
    return 0;
}

typedef struct {
    int64_t got[BLOCK], golden[BLOCK];
    double ratio[BLOCK];
} integer_room;

static int judge_integers(verdict_large *l, const piece *x, integer_room *room, char *err, size_t errlen)
{
    const verdict_tensor *t = &l->v.t[x->tensor];
    const size_t golden = golden_place(l, t), got = tensor_view_find(&l->f.answer, t->name);
    for (size_t at = 0; at < x->n; at += BLOCK) {
        const size_t first = x->first + at, n = x->n - at < BLOCK ? x->n - at : BLOCK;
        verdict_tally part = {0};
        if (tensor_view_integers(&l->f.expected, golden, first, n, room->golden, err, errlen) != 0 ||
            tensor_view_integers(&l->f.answer, got, first, n, room->got, err, errlen) != 0)
            return -1;
        verdict_tally_integers(&part, first, n, room->got, room->golden, room->ratio);
        add(l, x->tensor, &part, first, n, room->ratio);
    }
    return 0;
}

/* Rows of a decision: are they the golden ones, and could others be admissible? */
typedef struct {
    int64_t *got, *golden;
    golden_tensor score;
} decision_room;

static int read_rows(const verdict_large *l, const verdict_tensor *t, size_t row, size_t rows, decision_room *room,
                     char *err, size_t errlen)
{
    const size_t K = row_length(t), N = experts(l->f.c);
    const tensor_view *expected = &l->f.expected;
    if (tensor_view_integers(expected, golden_place(l, t), row * K, rows * K, room->golden, err, errlen) != 0) return -1;
    if (t->judged && tensor_view_integers(&l->f.answer, tensor_view_find(&l->f.answer, t->name), row * K, rows * K,
                                          room->got, err, errlen) != 0)
        return -1;
    if (N == 0) return 0;
    char name[200];
    snprintf(name, sizeof name, "score.%s", t->name);
    if (tensor_view_doubles(expected, score_place(l, t), row * N, rows * N, room->score.value, err, errlen) != 0 ||
        tensor_view_doubles(expected, score_bound_place(l, t), row * N, rows * N, room->score.bound, err, errlen) != 0)
        return -1;
    return verdict_check_numbers(expected->file->path, name, row * N, rows * N, room->score.value, room->score.bound,
                                 err, errlen);
}

static int judge_rows(verdict_large *l, const piece *x, decision_room *room, char *err, size_t errlen)
{
    const verdict_tensor *t = &l->v.t[x->tensor];
    const size_t K = row_length(t), N = experts(l->f.c), most = rows_in(BLOCK, K, N);
    size_t ambiguous = 0;
    bool differ = false;
    for (size_t at = 0; at < x->n; at += most) {
        const size_t rows = x->n - at < most ? x->n - at : most;
        if (read_rows(l, t, x->first + at, rows, room, err, errlen) != 0 ||
            verdict_check_decision(l->f.expected.file->path, t->name, N, K, x->first + at, rows, room->golden, err,
                                   errlen) != 0)
            return -1;
        for (size_t row = 0; row < rows; row++)
            ambiguous += verdict_ambiguous(&room->score, row, N, K, room->golden + row * K);
        differ |= t->judged && memcmp(room->got, room->golden, rows * K * sizeof *room->got) != 0;
    }
    pthread_mutex_lock(&l->lock);
    l->ambiguous += ambiguous;
    l->differ |= differ;
    pthread_mutex_unlock(&l->lock);
    return 0;
}

static int judge_decision(verdict_large *l, const piece *x, char *err, size_t errlen)
{
    const verdict_tensor *t = &l->v.t[x->tensor];
    const size_t K = row_length(t), N = experts(l->f.c), most = rows_in(BLOCK, K, N);
    decision_room room = {.got = calloc(most * K + 1, sizeof *room.got),
                          .golden = calloc(most * K + 1, sizeof *room.golden),
                          .score = {.count = most * N,
                                    .value = calloc(most * N + 1, sizeof *room.score.value),
                                    .bound = calloc(most * N + 1, sizeof *room.score.bound)}};
    int status = room.got && room.golden && room.score.value && room.score.bound
                     ? judge_rows(l, x, &room, err, errlen)
                     : tensor_fail(err, errlen, "out of memory");
    free(room.got);
    free(room.golden);
    free(room.score.value);
    free(room.score.bound);
    return status;
}

int verdict_large_judge(verdict_large *l, size_t i, char *err, size_t errlen)
{
    const piece *x = &l->piece[i];
    const verdict_tensor *t = &l->v.t[x->tensor];
    if (t->kind == OP_DECISION) return judge_decision(l, x, err, errlen);
    const bool integer = is_integer(l, t);
    void *room = malloc(integer ? sizeof(integer_room) : sizeof(float_room));
    if (!room) return tensor_fail(err, errlen, "out of memory");
    const int status =
        integer ? judge_integers(l, x, room, err, errlen) : judge_floats(l, x, room, err, errlen);
    free(room);
    return status;
}

int verdict_large_end(verdict_large *l, verdict_case *v)
{
    memset(v, 0, sizeof *v);
    if (l->differ) return 1;
    for (size_t i = 0; i < l->v.tensors; i++)
        if (l->v.t[i].kind == OP_DECISION && l->v.t[i].slot != OP_TENSORS) l->v.tokens += rows_of(&l->v.t[i]);
    l->v.ambiguous = l->ambiguous;
    verdict_end(l->f.c, l->f.answer.files ? &l->f.answer.head : NULL, &l->f.prompt, &l->v);
    *v = l->v;
    l->v = (verdict_case){0};
    return 0;
}
