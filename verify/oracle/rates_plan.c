/* What `smoeref rates` runs (see rates.h). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "op.h"
#include "rates.h"

const char *const rates_estimator_name[RATES_ESTIMATORS] = {"mle", "em", "oracle"};
const char *const rates_presets[] = {"exact", "over", "softmax-vs-competition", NULL};

/* Experts on x in [-1,1], well apart in mean; responses of both signs, so that the norm's corner at h = 0 is inside. */
static const struct {
    double a, b, nu, beta1;
} atom[2] = {{1.5, 1.0, 0.25, 1.0}, {-1.0, -1.0, 0.16, -1.0}};

static const char default_sizes[] = "316:56234:8"; /* 10^2.5 to 10^4.75 */

/* --- series ------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    smoe_mix_gate gate;
} gates[] = {{"norm", SMOE_MIX_NORM},
             {"softplus", SMOE_MIX_SOFTPLUS},
             {"softplus-softmax", SMOE_MIX_SOFTPLUS_SOFTMAX},
             {"softmax", SMOE_MIX_SOFTMAX}};

static void add_series(rates_plan *plan, size_t gate, bool free_weights, size_t k, rates_estimator estimator)
{
    if (plan->series_count == RATES_SERIES) return;
    rates_series *s = &plan->series[plan->series_count++];
    *s = (rates_series){.gate = gates[gate].name, .estimator = estimator};
    s->truth = (smoe_mix_shape){.gate = gates[gate].gate, .expert = SMOE_MIX_LINEAR, .k = 2, .d = 1};
    s->truth.free_weights = free_weights || s->truth.gate == SMOE_MIX_SOFTMAX; /* beta0 is part of that gate */
    s->fitted = s->truth;
    s->fitted.k = k;
    snprintf(s->name, sizeof s->name, "%s%s%s%s", s->gate,
             s->truth.free_weights && s->truth.gate != SMOE_MIX_SOFTMAX ? ", free weights" : "",
             estimator == RATES_MLE ? "" : ", ", estimator == RATES_MLE ? "" : rates_estimator_name[estimator]);
}

static void add_all_series(rates_plan *plan)
{
    const bool exact = strcmp(plan->preset, "exact") == 0;
    const bool all_gates = strcmp(plan->preset, "softmax-vs-competition") == 0;
    const bool free_weights =
        strcmp(plan->free_weights, "default") == 0 ? !exact : strcmp(plan->free_weights, "yes") == 0;
    for (int e = 0; e < RATES_ESTIMATORS; e++)
        for (size_t g = 0; g < sizeof gates / sizeof *gates && plan->estimator[e]; g++) {
            if (gates[g].gate == SMOE_MIX_SOFTPLUS_SOFTMAX && !all_gates) continue;
            add_series(plan, g, free_weights, exact || e == RATES_ORACLE ? 2 : 3, (rates_estimator)e);
        }
}

void rates_truth(const rates_series *s, double *theta)
{
    const size_t stride = smoe_mix_stride(&s->truth);
    for (size_t i = 0; i < 2; i++) {
        double *t = theta + i * stride;
        t[0] = atom[i].a;
        t[1] = atom[i].b;
        t[smoe_mix_variance_at(&s->truth)] = atom[i].nu;
        if (s->truth.free_weights) t[smoe_mix_beta0_at(&s->truth)] = 0;
        if (s->truth.gate == SMOE_MIX_SOFTMAX) t[smoe_mix_beta1_at(&s->truth)] = atom[i].beta1;
    }
}

/* --- options ------------------------------------------------------------------------------------------------------ */

bool rates_plan_start(rates_plan *plan, const char *preset)
{
    *plan = (rates_plan){.free_weights = "default", .repeats = 24, .seed = 1};
    for (size_t i = 0; rates_presets[i]; i++)
        if (strcmp(rates_presets[i], preset) == 0) plan->preset = rates_presets[i];
    return plan->preset != NULL;
}

enum { MOST_SAMPLES = 100000000 };

static bool read_size(const char **text, char end, size_t *n)
{
    char *rest;
    if (**text < '0' || **text > '9') return false;
    const unsigned long long value = strtoull(*text, &rest, 10);
    if ((*rest != end && *rest != '\0') || value > MOST_SAMPLES) return false;
    *n = (size_t)value;
    *text = *rest ? rest + 1 : rest;
    return true;
}

static const char not_sizes[] = "expected numbers up to 100000000, '316,1000,3162', or FROM:TO:COUNT, '100:100000:7'";

static const char *spaced_sizes(rates_plan *plan, const char *text)
{
    size_t from, to, count;
    if (!read_size(&text, ':', &from) || !read_size(&text, ':', &to) || !read_size(&text, '\0', &count) || *text)
        return not_sizes;
    if (from == 0 || to <= from || count < 2 || count > RATES_SIZES)
        return "FROM:TO:COUNT needs 0 < FROM < TO and 2 to 64 sizes";
    for (size_t i = 0; i < count; i++) {
        const double part = (double)i / (double)(count - 1);
        const double n = smoe_exp(smoe_log((double)from) * (1 - part) + smoe_log((double)to) * part);
        plan->n[i] = i == 0 ? from : i + 1 == count ? to : (size_t)floor(n + 0.5);
    }
    plan->sizes = count;
    return NULL;
}

const char *rates_plan_sizes(rates_plan *plan, const char *text)
{
    const char *wrong = NULL;
    plan->sizes = 0;
    if (strchr(text, ':')) wrong = spaced_sizes(plan, text);
    if (strchr(text, ':') && wrong) return wrong;
    for (const char *p = text; *p && !strchr(text, ':');) {
        if (plan->sizes == RATES_SIZES) return "at most 64 sizes";
        if (!read_size(&p, ',', &plan->n[plan->sizes++])) return not_sizes;
    }
    for (size_t i = 1; i < plan->sizes; i++)
        if (plan->n[i] <= plan->n[i - 1]) return "the sizes must ascend";
    return plan->sizes < 2 ? "a slope needs at least two sizes" : NULL;
}

const char *rates_plan_estimators(rates_plan *plan, const char *text)
{
    for (int e = 0; e < RATES_ESTIMATORS; e++) plan->estimator[e] = false;
    for (const char *p = text;; p++) {
        const size_t len = strcspn(p, ",");
        bool found = false;
        for (int e = 0; e < RATES_ESTIMATORS; e++)
            if (strlen(rates_estimator_name[e]) == len && strncmp(rates_estimator_name[e], p, len) == 0)
                found = plan->estimator[e] = true;
        if (!found) return "expected some of mle,em,oracle";
        p += len;
        if (*p == '\0') return NULL;
    }
}

const char *rates_plan_finish(rates_plan *plan, char text[RATES_TEXT])
{
    const bool exact = strcmp(plan->preset, "exact") == 0;
    if (plan->sizes == 0) rates_plan_sizes(plan, default_sizes);
    if (!plan->estimator[RATES_MLE] && !plan->estimator[RATES_EM] && !plan->estimator[RATES_ORACLE])
        plan->estimator[RATES_MLE] = true;
    if (plan->starts == 0) plan->starts = exact ? 1 : 2;
    if (plan->repeats < 2) return "a standard error needs at least two repeats";
    if (plan->repeats > 100000 || plan->starts > 100) return "at most 100000 repeats and 100 starts";
    plan->series_count = 0;
    add_all_series(plan);
    for (size_t i = 0; i < plan->series_count; i++) {
        const size_t parameters = smoe_mix_parameters(&plan->series[i].fitted);
        if (plan->n[0] > parameters) continue;
        snprintf(text, RATES_TEXT, "n = %zu is too small: '%s' has %zu parameters", plan->n[0], plan->series[i].name,
                 parameters);
        return text;
    }
    return NULL;
}

/* --- the plan as JSON --------------------------------------------------------------------------------------------- */

json_t *rates_plan_json(const rates_plan *plan)
{
    json_t *n = json_array(), *estimators = json_array();
    bool whole = true;
    for (size_t i = 0; i < plan->sizes; i++)
        whole = json_array_append_new(n, json_integer((json_int_t)plan->n[i])) == 0 && whole;
    for (int e = 0; e < RATES_ESTIMATORS; e++)
        if (plan->estimator[e])
            whole = json_array_append_new(estimators, json_string(rates_estimator_name[e])) == 0 && whole;
    if (!whole) {
        json_decref(n);
        json_decref(estimators);
        return NULL;
    }
    return json_pack("{s:s, s:s, s:o, s:o, s:I, s:I, s:I}", "preset", plan->preset, "free_weights", plan->free_weights,
                     "estimators", estimators, "n", n, "repeats", (json_int_t)plan->repeats, "starts",
                     (json_int_t)plan->starts, "seed", (json_int_t)plan->seed);
}

static const char *const free_words[] = {"default", "yes", "no"};

/* "default", and the names of estimators; false for another word. */
static bool read_words(rates_plan *plan, const char *free_weights, const json_t *estimators)
{
    size_t i, known = 0;
    json_t *item;
    for (i = 0; i < 3; i++) {
        if (strcmp(free_weights, free_words[i]) != 0) continue;
        plan->free_weights = free_words[i];
        known++;
    }
    json_array_foreach(estimators, i, item) for (int e = 0; e < RATES_ESTIMATORS && json_is_string(item); e++)
    {
        if (strcmp(json_string_value(item), rates_estimator_name[e]) != 0) continue;
        plan->estimator[e] = true;
        known++;
    }
    return known == 1 + json_array_size(estimators);
}

const char *rates_plan_from_json(rates_plan *plan, const json_t *object, char text[RATES_TEXT])
{
    const char *preset, *words;
    json_t *estimators, *n, *item;
    json_int_t repeats, starts, seed;
    size_t i;
    if (json_unpack((json_t *)object, "{s:s, s:s, s:o, s:o, s:I, s:I, s:I}", "preset", &preset, "free_weights", &words,
                    "estimators", &estimators, "n", &n, "repeats", &repeats, "starts", &starts, "seed", &seed) != 0)
        return "its plan lacks something";
    if (!rates_plan_start(plan, preset)) return "its preset is unknown";
    if (!read_words(plan, words, estimators)) return "its plan has a word that is unknown";
    json_array_foreach(n, i, item)
    {
        const json_int_t size = json_integer_value(item), before = i > 0 ? (json_int_t)plan->n[i - 1] : 0;
        if (i == RATES_SIZES || size <= before || size > MOST_SAMPLES) return "its sample sizes make no sense";
        plan->n[plan->sizes++] = (size_t)size;
    }
    if (plan->sizes < 2 || repeats < 2 || starts < 1 || seed < 0) return "its plan makes no sense";
    plan->repeats = (size_t)repeats;
    plan->starts = (size_t)starts;
    plan->seed = (uint64_t)seed;
    return rates_plan_finish(plan, text);
}

/* --- numbering ---------------------------------------------------------------------------------------------------- */

size_t rates_fits(const rates_plan *plan) { return plan->series_count * plan->sizes * plan->repeats; }

rates_place rates_place_of(const rates_plan *plan, size_t i)
{
    const size_t cell = i / plan->repeats;
    return (rates_place){cell / plan->sizes, cell % plan->sizes, i % plan->repeats};
}

double rates_fit_cost(const rates_plan *plan, size_t i)
{
    const rates_place at = rates_place_of(plan, i);
    const rates_series *s = &plan->series[at.series];
    const double evaluations = s->estimator == RATES_ORACLE ? 0.5 : (double)plan->starts * (s->fitted.k == 2 ? 8 : 30);
    return evaluations * (double)plan->n[at.size] + 20000; /* and the distances */
}
