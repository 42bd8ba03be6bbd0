/* The verdicts of a shard on arbitrary bytes, as `diff merge` reads them.  What is accepted is written and read again, to the same
 * bytes, and joined: alone, and with itself.
 *
 * Files say that this version wrote them: "fuzz".
 */
#include "fuzz.h"

#include "verdict_store.h"

#include <stdbool.h>

/* Nothing of a refused file is left. */
static void check_refusal(const verdict_store *s, const char *err)
{
    check_error(err);
    if (s->c != NULL || s->suite != NULL || s->precision != NULL || s->cases != 0) FINDING("a refused file left something");
}

static void check_line(const char *err)
{
    if (*err == '\0') FINDING("a refusal without a reason");
    for (const char *s = err; *s != '\0'; s++)
        if (*s < 0x20 || *s > 0x7e) FINDING("an error with a byte %d in it", *s);
}

/* What whoever reports on a case relies on. */
static void check_case(const verdict_case *v)
{
    size_t outside = 0;
    if (v->op == NULL || v->worst > v->tensors) FINDING("a worst tensor that there is not");
    for (size_t i = 0; i < v->tensors; i++) {
        const verdict_tensor *t = &v->t[i];
        size_t count;
        if (t->rank > OP_RANK || tensor_count(t->rank, t->dim, &count) != 0 || count != t->count)
            FINDING("a tensor that is not what its fields say");
        if (t->at > count || t->outside > count || t->vacuous > count || t->slot > OP_TENSORS)
            FINDING("a number beyond the tensor");
        for (size_t k = 0; t->heat != NULL && k < t->heat_rows * t->heat_cols; k++)
            if (t->heat[k] >= VERDICT_LEVELS) FINDING("a level that there is not");
        outside += t->outside;
    }
    if (v->pass && (outside > 0 || v->fault != NULL || v->inadmissible > 0)) FINDING("a case that passes in spite of a failure");
    for (size_t i = 0; i < v->matches; i++)
        if (v->match[i].variant == NULL || !(v->match[i].ratio <= 1)) FINDING("a match that is none");
}

static void write_and_read(const verdict_store *s, verdict_store *back, unsigned char **bytes, size_t *n)
{
    char err[TENSOR_ERROR] = "";
    if (verdict_store_write(scratch_file(), s, "fuzz", err, sizeof err) != 0 ||
        whole_file_read(scratch_file(), bytes, n, err, sizeof err) != 0 ||
        verdict_store_read(scratch_file(), back, "fuzz", err, sizeof err) != 0)
        FINDING("%s", err);
    unlink(scratch_file());
}

static void round_trip(const verdict_store *s)
{
    verdict_store back, again;
    unsigned char *one, *two;
    size_t n, m;
    write_and_read(s, &back, &one, &n);
    write_and_read(&back, &again, &two, &m);
    if (n != m || memcmp(one, two, n) != 0) FINDING("other verdicts after a round trip");
    verdict_store_clear(&back);
    verdict_store_clear(&again);
    free(one);
    free(two);
}

/* Twice the same shard is refused; alone it is all only if it is the only one. */
static void join(verdict_store *s)
{
    static const char *const path[] = {"f", "g"};
    verdict_store twice[] = {*s, *s};
    verdict_case *c = NULL;
    char err[TENSOR_ERROR] = "";
    const size_t total = s->total;
    if (verdict_store_join(twice, 2, path, &c, err, sizeof err) == 0) FINDING("a shard was joined with itself");
    check_line(err);
    *err = '\0';
    const int result = verdict_store_join(s, 1, path, &c, err, sizeof err);
    if ((result == 0) != (s->shards == 1)) FINDING("%zu shards are joined from one: %s", s->shards, err);
    if (result != 0) {
        check_line(err);
        return;
    }
    for (size_t i = 0; i < total; i++) {
        check_case(&c[i]);
        verdict_case_clear(&c[i]);
    }
    free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    verdict_store s;
    char err[TENSOR_ERROR] = "";
    if (verdict_store_parse("f", data, size, "fuzz", &s, err, sizeof err) != 0) {
        check_refusal(&s, err);
        return 0;
    }
    if (s.shard < 1 || s.shard > s.shards || s.cases != verdict_store_share(s.total, s.shard, s.shards))
        FINDING("a shard that makes no sense");
    for (size_t i = 0; i < s.cases; i++) check_case(&s.c[i]);
    round_trip(&s);
    join(&s);
    verdict_store_clear(&s);
    return 0;
}
