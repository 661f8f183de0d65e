/* Metrics of yes and no: at thresholds that the config names, and at many, with what the best of them gives. */
#include "model/metrics.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- numbers of a config --- */

kpar_status kpar_metric_numbers(kpar_lowering *lowering, const json_t *config, const char *owner,
                                const char *key, double **numbers, int64_t *n)
{
    const json_t *json = json_object_get(config, key);
    const json_t *inner = json_object_get(json_object_get(json, "config"), "value");
    if (inner) json = inner;
    *numbers = NULL;
    *n = 0;
    if (!json || json_is_null(json)) return KPAR_OK;
    *n = json_is_array(json) ? (int64_t)json_array_size(json) : 1;
    *numbers = kpar_arena_alloc(lowering->arena, ((size_t)*n + 1) * sizeof **numbers);
    for (int64_t i = 0; i < *n; i++) {
        const json_t *number = json_is_array(json) ? json_array_get(json, (size_t)i) : json;
        if (!json_is_number(number))
            return kpar_fail(KPAR_EFORMAT, "%s: argument '%s': expected numbers", owner, key);
        (*numbers)[i] = json_number_value(number);
    }
    return KPAR_OK;
}

/* --- answers --- */

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void kpar_thresholds_sort(double *numbers, int64_t n) { qsort(numbers, (size_t)n, sizeof *numbers, compare); }

bool kpar_thresholds_are_even(const double *numbers, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const double even = (double)i / (double)(n - 1);
        if (fabs(numbers[i] - even) > 1e-7 + 1e-5 * even) return false;
    }
    return n >= 3;
}

/* How many thresholds p is above. Of even ones p is scaled, not they: then rounding decides as in Keras. */
static kpar_x level_of(kpar_expression_builder *e, const kpar_thresholds *t, kpar_x p)
{
    kpar_x level = kpar_x_constant(e, 0);
    for (int64_t i = 0; t->values && i < t->n; i++)
        level = kpar_x_add(e, level, kpar_x_lt(e, kpar_x_constant(e, t->values[i]), p));
    if (t->values) return level;
    p = kpar_x_max(e, kpar_x_min(e, p, kpar_x_constant(e, 1)), kpar_x_constant(e, 0));
    p = kpar_x_mul(e, p, kpar_x_constant(e, (double)(t->n - 1)));
    level = kpar_x_neg(e, kpar_x_floor(e, kpar_x_neg(e, p)));
    return t->all_at_first ? kpar_x_max(e, level, kpar_x_constant(e, 1)) : level;
}

/* The weight of label number i of n. */
static kpar_x weight_of(kpar_expression_builder *e, const double *weights, int64_t n, kpar_x i)
{
    kpar_x weight = kpar_x_constant(e, weights ? 0 : 1);
    for (int64_t k = 0; weights && k < n; k++)
        weight = kpar_x_select(e, kpar_x_eq(e, i, kpar_x_constant(e, (double)k)),
                               kpar_x_constant(e, weights[k]), weight);
    return weight;
}

/* What labels count as a yes, or as a no. */
static kpar_status count_labels(kpar_lowering *lowering, const double *weights, bool yes,
                                kpar_value_id labels, kpar_value_id *counted)
{
    const kpar_shape *shape = kpar_lower_shape(lowering, labels);
    const int rank = shape->rank;
    const kpar_dim last = shape->dims[rank - 1];
    kpar_value_id inputs[2] = {labels, labels};
    if (weights)
        KPAR_TRY(kpar_build_iota(lowering->graph, 0, KPAR_I32, (kpar_shape){.rank = 1, .dims = {last}},
                                 &inputs[1]));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x weight = weight_of(e, weights, last.size, kpar_x_input(e, 1)), zero = kpar_x_constant(e, 0);
    kpar_x is = kpar_x_eq(e, kpar_x_input(e, 0), zero);
    kpar_x value = yes ? kpar_x_select(e, is, zero, weight) : kpar_x_select(e, is, weight, zero);
    KPAR_TRY(kpar_lower_apply(lowering, e, value, inputs, 2, counted));
    return kpar_lower_insert(lowering, rank, *counted, counted);
}

kpar_status kpar_answers_find(kpar_lowering *lowering, const kpar_thresholds *t, const double *label_weights,
                              kpar_value_id prediction, kpar_value_id labels, kpar_answers *answers)
{
    const kpar_shape each = {.rank = 1, .dims = {{t->n, false}}};
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x level = level_of(e, t, kpar_x_input(e, 0));
    KPAR_TRY(kpar_lower_apply(lowering, e, level, &prediction, 1, &answers->level));
    const int rank = kpar_lower_shape(lowering, prediction)->rank;
    KPAR_TRY(kpar_lower_insert(lowering, rank, answers->level, &answers->level));
    KPAR_TRY(count_labels(lowering, label_weights, true, labels, &answers->yes));
    KPAR_TRY(count_labels(lowering, label_weights, false, labels, &answers->no));
    answers->by_label = false;
    return kpar_build_iota(lowering->graph, 0, KPAR_I32, each, &answers->numbers);
}

kpar_status kpar_answers_add(kpar_lowering *lowering, const kpar_answers *answers, kpar_answer said, bool yes,
                             kpar_metric_sums *sums)
{
    const kpar_value_id inputs[] = {yes ? answers->yes : answers->no, answers->level, answers->numbers};
    const int n_inputs = said == KPAR_EITHER ? 1 : 3;
    kpar_expression_builder *e = kpar_expression_begin(n_inputs);
    kpar_x counted = kpar_x_input(e, 0), zero = kpar_x_constant(e, 0);
    if (said != KPAR_EITHER) {
        kpar_x above = kpar_x_lt(e, kpar_x_input(e, 2), kpar_x_input(e, 1));
        counted = said == KPAR_YES ? kpar_x_select(e, above, counted, zero)
                                   : kpar_x_select(e, above, zero, counted);
    }
    return kpar_metric_add_sum(lowering, sums, answers->by_label ? 2 : 1, e, counted, inputs, n_inputs);
}

/* Predictions and labels of the class `class_id` alone, if there is one. */
static kpar_status pick_class(kpar_lowering *lowering, const json_t *config, const char *owner,
                              kpar_value_id *prediction, kpar_value_id *labels)
{
    const kpar_shape *shape = kpar_lower_shape(lowering, *prediction);
    const int last = shape->rank - 1;
    const int64_t n = shape->dims[last].size;
    int64_t class_id;
    if (!kpar_config_has(config, "class_id")) return KPAR_OK;
    KPAR_TRY(kpar_config_integer(owner, config, "class_id", 0, &class_id));
    if (class_id < -n || class_id >= n)
        return kpar_fail(KPAR_EFORMAT, "%s: argument 'class_id' is %lld; the output has %lld classes", owner,
                         (long long)class_id, (long long)n);
    if (class_id < 0) class_id += n;
    KPAR_TRY(kpar_lower_cut(lowering, last, class_id, class_id + 1, *prediction, prediction));
    return kpar_lower_cut(lowering, last, class_id, class_id + 1, *labels, labels);
}

/* --- the best of many thresholds --- */

/* Shares at one threshold: of the true yeses that are found, of the true noes that are left alone, and of the said
 * yeses that are right. */
typedef enum share { SENSITIVITY, SPECIFICITY, PRECISION } share;

/* Inputs of the expression: right and wrong yeses of each of n thresholds, then all true yeses and noes. */
static kpar_x share_at(kpar_expression_builder *e, share kind, int i, int n)
{
    const kpar_x right = kpar_x_input(e, i), wrong = kpar_x_input(e, n + i);
    const kpar_x yeses = kpar_x_input(e, 2 * n), noes = kpar_x_input(e, 2 * n + 1);
    switch (kind) {
    case SENSITIVITY:
        return kpar_metric_quotient(e, right, yeses);
    case SPECIFICITY:
        return kpar_metric_quotient(e, kpar_x_sub(e, noes, wrong), noes);
    default:
        return kpar_metric_quotient(e, right, kpar_x_add(e, right, wrong));
    }
}

/* Thresholds evenly from 0 to 1; a single one is 0.5. */
static kpar_status read_many(const json_t *config, const char *owner, const char *key, double *least,
                             kpar_thresholds *t)
{
    static const double half = 0.5;
    KPAR_TRY(kpar_config_number(owner, config, key, -1, least));
    KPAR_TRY(kpar_config_integer(owner, config, "num_thresholds", 200, &t->n));
    if (!(*least >= 0 && *least <= 1))
        return kpar_fail(KPAR_EFORMAT, "%s: argument '%s' is %g or missing; expected a number from 0 to 1",
                         owner, key, *least);
    if (t->n < 1 || t->n > 10000)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: argument 'num_thresholds' is %lld; supported are 1 to 10000",
                         owner, (long long)t->n);
    if (t->n == 1) t->values = &half;
    return KPAR_OK;
}

/* The largest share `wanted` at a threshold where the share `held` is at least what the config's `key` says, else 0. */
static kpar_status best_at(kpar_lowering *lowering, const json_t *config, const char *owner, const char *key,
                           share held, share wanted, kpar_value_id prediction, kpar_value_id labels,
                           kpar_metric_sums *sums)
{
    double least;
    kpar_thresholds t = {0};
    kpar_answers answers;
    KPAR_TRY(read_many(config, owner, key, &least, &t));
    KPAR_TRY(pick_class(lowering, config, owner, &prediction, &labels));
    KPAR_TRY(kpar_answers_find(lowering, &t, NULL, prediction, labels, &answers));
    for (int said = KPAR_YES; said <= KPAR_EITHER; said++)
        for (int yes = 1; yes >= 0; yes--)
            KPAR_TRY(kpar_answers_add(lowering, &answers, (kpar_answer)said, yes, sums));
    const int n = (int)t.n;
    kpar_expression_builder *e = sums->e = kpar_expression_begin(2 * n + 2);
    sums->result = kpar_x_constant(e, 0);
    for (int i = 0; i < n; i++) {
        kpar_x allowed = kpar_x_le(e, kpar_x_constant(e, least), share_at(e, held, i, n));
        kpar_x found = kpar_x_select(e, allowed, share_at(e, wanted, i, n), kpar_x_constant(e, 0));
        sums->result = kpar_x_max(e, sums->result, found);
    }
    return KPAR_OK;
}

#define BEST_AT(name, key, held, wanted)                                                                     \
    kpar_status name(kpar_lowering *lowering, const json_t *config, const char *owner,                       \
                     kpar_value_id prediction, kpar_value_id labels, kpar_metric_sums *sums)                 \
    {                                                                                                        \
        return best_at(lowering, config, owner, key, held, wanted, prediction, labels, sums);                \
    }
BEST_AT(kpar_metric_sensitivity, "specificity", SPECIFICITY, SENSITIVITY)
BEST_AT(kpar_metric_specificity, "sensitivity", SENSITIVITY, SPECIFICITY)
BEST_AT(kpar_metric_precision_at_recall, "recall", SENSITIVITY, PRECISION)
BEST_AT(kpar_metric_recall_at_precision, "precision", PRECISION, SENSITIVITY)

/* --- at thresholds of the config --- */

/* The thresholds, in order, and the place of each among them. */
typedef struct chosen {
    kpar_thresholds in_order;
    int64_t *place;
} chosen;

static int64_t place_of(const double *sorted, double number)
{
    int64_t place = 0;
    while (sorted[place] != number) place++;
    return place;
}

/* Above the threshold that there is without an argument a prediction is a yes. */
static kpar_status read_chosen(kpar_lowering *lowering, const json_t *config, const char *owner,
                               double without, chosen *c)
{
    double *numbers, *sorted;
    int64_t n;
    KPAR_TRY(kpar_metric_numbers(lowering, config, owner, "thresholds", &numbers, &n));
    for (int64_t i = 0; i < n; i++)
        if (!(numbers[i] >= 0 && numbers[i] <= 1))
            return kpar_fail(KPAR_EFORMAT, "%s: argument 'thresholds' has %g; expected numbers from 0 to 1",
                             owner, numbers[i]);
    if (numbers && n == 0)
        return kpar_fail(KPAR_EFORMAT, "%s: argument 'thresholds' is empty; expected numbers", owner);
    if (!numbers) {
        n = 1;
        numbers = kpar_arena_copy(lowering->arena, &without, sizeof without);
    }
    sorted = kpar_arena_copy(lowering->arena, numbers, (size_t)n * sizeof *numbers);
    kpar_thresholds_sort(sorted, n);
    c->place = kpar_arena_alloc(lowering->arena, (size_t)n * sizeof *c->place);
    for (int64_t i = 0; i < n; i++) c->place[i] = place_of(sorted, numbers[i]);
    c->in_order = (kpar_thresholds){.values = kpar_thresholds_are_even(numbers, n) ? NULL : sorted, .n = n};
    return KPAR_OK;
}

/* What a prediction is that no threshold is below. */
static const double never = -1e10;

/* Predictions that are not among the `top_k` of their row become `never`. */
static kpar_status keep_likeliest(kpar_lowering *lowering, int64_t k, kpar_value_id *prediction)
{
    kpar_value_id left = *prediction, number, picked;
    const kpar_shape *shape = kpar_lower_shape(lowering, left);
    const int64_t n = shape->dims[shape->rank - 1].size;
    for (int64_t i = 0; i < k && i < n; i++)
        KPAR_TRY(kpar_lower_take_largest(lowering, &left, &number, &picked));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x taken = kpar_x_eq(e, kpar_x_input(e, 1), kpar_x_constant(e, -FLT_MAX));
    kpar_x kept = kpar_x_select(e, taken, kpar_x_input(e, 0), kpar_x_constant(e, never));
    return kpar_lower_apply(lowering, e, kept, (kpar_value_id[]){*prediction, left}, 2, prediction);
}

/* Answers of the predictions that the arguments 'top_k' and 'class_id' leave. */
static kpar_status find_answers(kpar_lowering *lowering, const json_t *config, const char *owner,
                                kpar_value_id prediction, kpar_value_id labels, chosen *c,
                                kpar_answers *answers)
{
    enum { MOST = 64 };
    int64_t k;
    KPAR_TRY(kpar_config_integer(owner, config, "top_k", 0, &k));
    if (k < 0 || k > MOST)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: argument 'top_k' is %lld; supported are 1 to %d", owner,
                         (long long)k, MOST);
    KPAR_TRY(read_chosen(lowering, config, owner, k ? never : 0.5, c));
    if (k) KPAR_TRY(keep_likeliest(lowering, k, &prediction));
    KPAR_TRY(pick_class(lowering, config, owner, &prediction, &labels));
    return kpar_answers_find(lowering, &c->in_order, NULL, prediction, labels, answers);
}

/* The share that is right of those that are said, or of those that should be. */
static kpar_status share_right(kpar_lowering *lowering, const json_t *config, const char *owner,
                               kpar_value_id prediction, kpar_value_id labels, bool of_said,
                               kpar_metric_sums *sums)
{
    chosen c;
    kpar_answers answers;
    KPAR_TRY(find_answers(lowering, config, owner, prediction, labels, &c, &answers));
    KPAR_TRY(kpar_answers_add(lowering, &answers, KPAR_YES, true, sums));
    KPAR_TRY(kpar_answers_add(lowering, &answers, of_said ? KPAR_YES : KPAR_NO, !of_said, sums));
    const int n = (int)c.in_order.n;
    kpar_expression_builder *e = sums->e = kpar_expression_begin(2 * n);
    kpar_x *results = kpar_metric_vector(lowering, sums, n);
    for (int i = 0; i < n; i++) {
        const int at = (int)c.place[i];
        const kpar_x right = kpar_x_input(e, at), other = kpar_x_input(e, n + at);
        results[i] = kpar_metric_quotient(e, right, kpar_x_add(e, right, other));
    }
    return KPAR_OK;
}

kpar_status kpar_metric_precision(kpar_lowering *lowering, const json_t *config, const char *owner,
                                  kpar_value_id prediction, kpar_value_id labels, kpar_metric_sums *sums)
{
    return share_right(lowering, config, owner, prediction, labels, true, sums);
}

kpar_status kpar_metric_recall(kpar_lowering *lowering, const json_t *config, const char *owner,
                               kpar_value_id prediction, kpar_value_id labels, kpar_metric_sums *sums)
{
    return share_right(lowering, config, owner, prediction, labels, false, sums);
}

static kpar_status count(kpar_lowering *lowering, const json_t *config, const char *owner, kpar_answer said,
                         bool yes, kpar_value_id prediction, kpar_value_id labels, kpar_metric_sums *sums)
{
    chosen c;
    kpar_answers answers;
    KPAR_TRY(find_answers(lowering, config, owner, prediction, labels, &c, &answers));
    KPAR_TRY(kpar_answers_add(lowering, &answers, said, yes, sums));
    const int n = (int)c.in_order.n;
    sums->e = kpar_expression_begin(n);
    kpar_x *results = kpar_metric_vector(lowering, sums, n);
    for (int i = 0; i < n; i++) results[i] = kpar_x_input(sums->e, (int)c.place[i]);
    return KPAR_OK;
}

#define COUNT_OF(name, said, yes)                                                                            \
    kpar_status name(kpar_lowering *lowering, const json_t *config, const char *owner,                       \
                     kpar_value_id prediction, kpar_value_id labels, kpar_metric_sums *sums)                 \
    {                                                                                                        \
        return count(lowering, config, owner, said, yes, prediction, labels, sums);                          \
    }
COUNT_OF(kpar_metric_true_positives, KPAR_YES, true)
COUNT_OF(kpar_metric_false_positives, KPAR_YES, false)
COUNT_OF(kpar_metric_true_negatives, KPAR_NO, false)
COUNT_OF(kpar_metric_false_negatives, KPAR_NO, true)
