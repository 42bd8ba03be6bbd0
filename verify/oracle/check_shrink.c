/* See check_shrink.h. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check_shrink.h"
#include "prompt.h"
#include "shrink.h"
#include "work.h"

enum { PATH = 4096, LINE = TENSOR_ERROR, MOST_OPERATIONS = 3 };

/* One failure on its way down. */
typedef struct {
    const shrink_search *s;
    const struct timespec *started;
    verdict_case *failure; /* the one that is made smaller */
    op_case *c; /* the smallest so far */
    verdict_case small; /* and its verdict, once there is one smaller than at first */
    bool found;
    size_t rounds, cases; /* that were run */
} descent;

/* --- one round: all steps from the smallest case so far ----------------------------------------------------------- */

static const char no_digest[] = "0000000000000000000000000000000000000000000000000000000000000000";

static int write_prompt(const char *folder, const char *name, const op_case *c, manifest *m)
{
    char path[PATH + 300], err[LINE] = "out of memory";
    tensor_file f = {0};
    snprintf(path, sizeof path, "%s/%s.prompt.safetensors", folder, name);
    int bad = op_add_prompt(&f, c, name);
    if (!bad) bad = tensor_file_write(path, &f, err, sizeof err);
    if (!bad) bad = manifest_add(m, name, c->op->id, "", "", no_digest, no_digest, err, sizeof err);
    tensor_file_clear(&f);
    return bad ? cli_input("%s", err) : 0;
}

/* Leaves out the steps to parameters that --where or --defaults excludes: the program need not know them. */
static void keep_allowed(const descent *d, shrink_list *l)
{
    char name[MANIFEST_NAME];
    size_t kept = 0;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(d->failure->name, " "), d->failure->name);
    for (size_t i = 0; i < l->steps; i++) {
        char *json = op_parameters_json(l->step[i].c);
        if (json && cli_where(&d->s->judge->where, d->c->op, name, json, "")) {
            l->step[kept++] = l->step[i];
        } else {
            op_case_free(l->step[i].c);
            free(l->step[i].what);
        }
        free(json);
    }
    l->steps = kept;
}

static int write_steps(const descent *d, const char *folder, const shrink_list *l, manifest *m)
{
    char err[LINE];
    int status = work_make_in(folder, "answers");
    if (status == 0) status = work_make_in(folder, "logs");
    if (status == 0) status = work_make_in(folder, "prompts");
    if (status == 0 && manifest_init(m, cli_version, "shrink", 0, err, sizeof err) != 0) status = cli_input("%s", err);
    for (size_t i = 0; i < l->steps && status == 0; i++) {
        char name[120];
        snprintf(name, sizeof name, "%.80s.step-%zu", d->c->op->id, i);
        status = write_prompt(folder, name, l->step[i].c, m);
    }
    return status;
}

/* The verdict on one step: does it fail alike? */
static bool judge_step(const descent *d, const char *folder, const manifest_case *mc, const judge_run *run, op_case *c,
                       verdict_case *v)
{
    char path[PATH + 300], err[LINE];
    tensor_file answer;
    verdict_golden g;
    bool alike = false;
    snprintf(path, sizeof path, "%s/answers", folder);
    if (run->fault || judge_read_answer(path, mc, &answer, err, sizeof err) != 0) return false;
    if (verdict_golden_run(c, d->s->judge->precision, &g, err, sizeof err) == 0) {
        g.forward = d->s->judge->forward;
        if (verdict_judge(c, mc->name, &g, &answer, d->s->judge->precision, v, err, sizeof err) == 0) {
            alike = shrink_fails_alike(d->failure, v);
            if (!alike) verdict_case_clear(v);
        }
        verdict_golden_clear(&g);
    }
    tensor_file_clear(&answer);
    return alike;
}

/* Takes the first step that fails alike. */
static bool take_step(descent *d, const char *folder, const manifest *m, const judge_run *runs, shrink_list *l)
{
    for (size_t i = 0; i < l->steps; i++) {
        verdict_case v;
        if (!judge_step(d, folder, &m->c[i], &runs[i], l->step[i].c, &v)) continue;
        if (d->found) verdict_case_clear(&d->small);
        op_case_free(d->c);
        d->c = l->step[i].c;
        l->step[i].c = NULL;
        d->small = v;
        return d->found = true;
    }
    return false;
}

enum { TAKEN = -2 };

/* TAKEN; 0: none fails alike; else an exit status, or -1 if interrupted. */
static int round_of(descent *d)
{
    char name[40], folder[PATH - 100];
    manifest m;
    shrink_list l = shrink_propose(d->c);
    keep_allowed(d, &l);
    memset(&m, 0, sizeof m);
    snprintf(name, sizeof name, "shrink-%zu", d->rounds++);
    snprintf(folder, sizeof folder, "%.3900s/%s", d->s->work, name);
    judge_run *runs = calloc(l.steps + 1, sizeof *runs);
    int status = runs ? work_make_in(d->s->work, name) : cli_input("out of memory for %zu runs", l.steps);
    if (status == 0) status = write_steps(d, folder, &l, &m);
    if (status == 0 && l.steps > 0)
        status = d->s->run(d->s->context, folder, &m, runs, d->s->seconds - work_seconds_since(d->started));
    d->cases += l.steps;
    if (status == 0 && take_step(d, folder, &m, runs, &l)) status = TAKEN;
    for (size_t i = 0; runs && i < l.steps; i++) {
        free(runs[i].fault);
        free(runs[i].output);
    }
    free(runs);
    shrink_list_clear(&l);
    manifest_clear(&m);
    work_remove(folder);
    return status;
}

/* --- what is said of it ------------------------------------------------------------------------------------------- */

/* The smallest case as a folder of golden cases, to be run again. */
static int keep_case(const descent *d)
{
    char folder[PATH - 100], name[120];
    const name_list stored = judge_stored(d->s->judge);
    snprintf(folder, sizeof folder, "%.3900s/shrunk-%s", d->s->work, d->c->op->id);
    snprintf(name, sizeof name, "%.80s.shrunk", d->c->op->id);
    if (op_run(d->c) != SMOE_OK) return 0; /* it did before */
    const int status = gen_one(d->c, name, &stored, folder);
    if (status == 0)
        verdict_detail(d->failure,
                       verdict_say("    it is in %s: smoeref check --cases %s --exec ... runs it", folder, folder));
    return status;
}

static int report_descent(descent *d)
{
    d->failure->shrunk = true;
    verdict_detail(d->failure,
                   verdict_say("nothing known explains it; the smallest case found that fails so too, after %zu rounds "
                               "of %zu cases:",
                               d->rounds, d->cases));
    char *text = shrink_text(d->c);
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = '\0';
        verdict_detail(d->failure, verdict_say("    %s", line));
    }
    free(text);
    for (size_t i = 0; i < d->small.details; i++)
        if (strncmp(d->small.detail[i], "    input ", 10) != 0)
            verdict_detail(d->failure, verdict_say("    %s", d->small.detail[i]));
    return d->s->keep ? keep_case(d) : 0;
}

/* --- one failure --------------------------------------------------------------------------------------------------- */

static int shrink_one(const shrink_search *s, verdict_case *failure, const struct timespec *started)
{
    char path[PATH + 300], err[LINE];
    descent d = {.s = s, .failure = failure, .started = started};
    snprintf(path, sizeof path, "%s/%.*s.prompt.safetensors", s->golden, (int)strcspn(failure->name, " "),
             failure->name);
    d.c = op_case_from_prompt(path, failure->op, NULL, NULL, NULL, err, sizeof err);
    if (!d.c) return cli_input("%s", err);
    int status = TAKEN;
    while (status == TAKEN && work_seconds_since(d.started) < s->seconds) status = round_of(&d);
    if (status == TAKEN) status = 0;
    if (status == 0 && d.found) status = report_descent(&d);
    if (d.found) verdict_case_clear(&d.small);
    op_case_free(d.c);
    return status;
}

/* Without a factor for every tensor that fails, which would be an explanation too. */
static bool is_riddle(const verdict_case *v)
{
    bool values = false, factored = true;
    if (v->pass || v->fault || v->large || verdict_explained(v)) return false;
    for (size_t i = 0; i < v->tensors; i++) {
        const verdict_tensor *t = &v->t[i];
        if (!t->judged || t->pass) continue;
        values = true;
        factored &= t->factors != 0;
    }
    return values && !factored;
}

int shrink_failures(const shrink_search *s, verdict_case *v, size_t n)
{
    struct timespec started;
    size_t done = 0;
    int status = 0;
    clock_gettime(CLOCK_MONOTONIC, &started);
    for (size_t o = 0; op_registry[o] && done < MOST_OPERATIONS && status == 0; o++) {
        size_t least = n;
        for (size_t i = 0; i < n; i++)
            if (v[i].op == op_registry[o] && is_riddle(&v[i]) &&
                (least == n || verdict_elements(&v[i]) < verdict_elements(&v[least])))
                least = i;
        if (least == n) continue;
        status = shrink_one(s, &v[least], &started);
        done++;
    }
    return status;
}
