/* Metrics of yes and no: at one threshold, and over many, with sums for each of them and what the best or all of them give. */
#include "model/metrics.h"

#include <string.h>

static kpar_x constant(kpar_expression_builder *e, double value) { return kpar_x_constant(e, value); }

/* Thresholds evenly from 0 to 1; a single one is 0.5. */
typedef struct thresholds {
    int64_t n;
    bool logits;       /* predictions are */
    bool all_at_first; /* the first threshold is below 0 */
} thresholds;

/* Whether p is above threshold number i. p is scaled, not i: then rounding decides as in Keras. */
static kpar_x above(kpar_expression_builder *e, const thresholds *t, kpar_x p, kpar_x i)
{
    const double parts = t->n > 1 ? (double)(t->n - 1) : 2, first = t->n > 1 ? 0 : 1;
    kpar_x bounded = kpar_x_max(e, kpar_x_min(e, p, constant(e, 1)), constant(e, 0));
    kpar_x yes =
        kpar_x_lt(e, kpar_x_add(e, i, constant(e, first)), kpar_x_mul(e, bounded, constant(e, parts)));
    return t->all_at_first ? kpar_x_select(e, kpar_x_eq(e, i, constant(e, 0)), constant(e, 1), yes) : yes;
}

/* Whether a label is a yes, or a no. */
static kpar_x is(kpar_expression_builder *e, kpar_x label, bool yes)
{
    return kpar_x_select(e, kpar_x_eq(e, label, constant(e, 0)), constant(e, !yes), constant(e, yes));
}

/* Adds for each threshold the sums of the yeses that are right, and of those that are wrong. */
static kpar_status add_said(kpar_lowering *lowering, kpar_metric_sums *sums, const thresholds *t,
                            kpar_value_id prediction, kpar_value_id labels)
{
    kpar_graph *g = lowering->graph;
    const int rank = kpar_lower_shape(lowering, prediction)->rank;
    kpar_value_id inputs[3];
    KPAR_TRY(kpar_lower_insert(lowering, rank, prediction, &inputs[0]));
    KPAR_TRY(kpar_lower_insert(lowering, rank, labels, &inputs[1]));
    KPAR_TRY(kpar_build_iota(g, 0, KPAR_I32, (kpar_shape){.rank = 1, .dims = {{t->n, false}}}, &inputs[2]));
    for (int right = 1; right >= 0; right--) {
        kpar_expression_builder *e = kpar_expression_begin(3);
        kpar_x p = kpar_x_input(e, 0), label = kpar_x_input(e, 1);
        kpar_x said = above(e, t, t->logits ? kpar_x_sigmoid(e, p) : p, kpar_x_input(e, 2));
        kpar_x counted = kpar_x_mul(e, said, is(e, label, right));
        KPAR_TRY(kpar_metric_add_sum(lowering, sums, 1, e, counted, inputs, 3));
    }
    return KPAR_OK;
}

/* Area under the curve of true over false yeses, as trapezoids between thresholds. */
kpar_status kpar_metric_area_under_curve(kpar_lowering *lowering, const json_t *config, const char *owner,
                                         kpar_value_id prediction, kpar_value_id labels,
                                         kpar_metric_sums *sums)
{
    const char *curve, *method;
    thresholds t = {.all_at_first = true};
    KPAR_TRY(kpar_config_string(owner, config, "curve", "ROC", &curve));
    KPAR_TRY(kpar_config_string(owner, config, "summation_method", "interpolation", &method));
    KPAR_TRY(kpar_config_integer(owner, config, "num_thresholds", 200, &t.n));
    KPAR_TRY(kpar_config_boolean(owner, config, "from_logits", false, &t.logits));
    if (strcmp(curve, "ROC") != 0 || strcmp(method, "interpolation") != 0 || t.n < 2)
        return kpar_fail(
            KPAR_EUNSUPPORTED,
            "%s: supported are curve \"ROC\", summation_method \"interpolation\" and 2 thresholds or "
            "more; found \"%s\", \"%s\" and %lld",
            owner, curve, method, (long long)t.n);
    KPAR_TRY(add_said(lowering, sums, &t, prediction, labels));
    const int n = (int)t.n;
    kpar_expression_builder *e = sums->e = kpar_expression_begin(2 * n);
    kpar_x area = constant(e, 0), half = constant(e, 0.5);
    for (int i = 0; i + 1 < n; i++) {
        kpar_x width = kpar_x_sub(e, kpar_x_input(e, n + i), kpar_x_input(e, n + i + 1));
        kpar_x height = kpar_x_mul(e, kpar_x_add(e, kpar_x_input(e, i), kpar_x_input(e, i + 1)), half);
        area = kpar_x_add(e, area, kpar_x_mul(e, width, height));
    }
    kpar_x whole = kpar_x_mul(e, kpar_x_input(e, 0), kpar_x_input(e, n));
    sums->result = kpar_metric_quotient(e, area, whole);
    return KPAR_OK;
}

/* Predictions and labels of the class `class_id` alone, if there is one. */
static kpar_status pick_class(kpar_lowering *lowering, const json_t *config, const char *owner,
                              kpar_value_id *prediction, kpar_value_id *labels)
{
    const kpar_shape *shape = kpar_lower_shape(lowering, *prediction);
    const int last = shape->rank - 1;
    const int64_t n = shape->dims[last].size;
    int64_t class_id;
    if (!json_object_get(config, "class_id") || json_is_null(json_object_get(config, "class_id")))
        return KPAR_OK;
    KPAR_TRY(kpar_config_integer(owner, config, "class_id", 0, &class_id));
    if (class_id < -n || class_id >= n)
        return kpar_fail(KPAR_EFORMAT, "%s: argument 'class_id' is %lld; the output has %lld classes", owner,
                         (long long)class_id, (long long)n);
    if (class_id < 0) class_id += n;
    KPAR_TRY(kpar_lower_cut(lowering, last, class_id, class_id + 1, *prediction, prediction));
    return kpar_lower_cut(lowering, last, class_id, class_id + 1, *labels, labels);
}

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

static kpar_status read_thresholds(const json_t *config, const char *owner, const char *key, double *least,
                                   thresholds *t)
{
    KPAR_TRY(kpar_config_number(owner, config, key, -1, least));
    KPAR_TRY(kpar_config_integer(owner, config, "num_thresholds", 200, &t->n));
    if (!(*least >= 0 && *least <= 1))
        return kpar_fail(KPAR_EFORMAT, "%s: argument '%s' is %g or missing; expected a number from 0 to 1",
                         owner, key, *least);
    if (t->n < 1 || t->n > 10000)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: argument 'num_thresholds' is %lld; supported are 1 to 10000",
                         owner, (long long)t->n);
    return KPAR_OK;
}

/* The largest share `wanted` at a threshold where the share `held` is at least what the config's `key` says, else 0. */
static kpar_status best_at(kpar_lowering *lowering, const json_t *config, const char *owner, const char *key,
                           share held, share wanted, kpar_value_id prediction, kpar_value_id labels,
                           kpar_metric_sums *sums)
{
    double least;
    thresholds t = {0};
    KPAR_TRY(read_thresholds(config, owner, key, &least, &t));
    KPAR_TRY(pick_class(lowering, config, owner, &prediction, &labels));
    KPAR_TRY(add_said(lowering, sums, &t, prediction, labels));
    for (int yes = 1; yes >= 0; yes--) {
        kpar_expression_builder *e = kpar_expression_begin(1);
        KPAR_TRY(kpar_metric_add_sum(lowering, sums, 0, e, is(e, kpar_x_input(e, 0), yes), &labels, 1));
    }
    const int n = (int)t.n;
    kpar_expression_builder *e = sums->e = kpar_expression_begin(2 * n + 2);
    sums->result = constant(e, 0);
    for (int i = 0; i < n; i++) {
        kpar_x allowed = kpar_x_le(e, constant(e, least), share_at(e, held, i, n));
        kpar_x found = kpar_x_select(e, allowed, share_at(e, wanted, i, n), constant(e, 0));
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

/* --- at one threshold --- */

typedef enum answer { NO, YES, EITHER } answer;

/* The prediction above which a yes is said. */
static kpar_status read_threshold(const char *owner, const json_t *config, double *threshold)
{
    const json_t *json = json_object_get(config, "thresholds");
    if (json_is_array(json) && json_array_size(json) != 1)
        return kpar_fail(
            KPAR_EUNSUPPORTED,
            "%s: argument 'thresholds' has %zu numbers; supported is one, whose result is a number", owner,
            json_array_size(json));
    if (!json_is_array(json)) return kpar_config_number(owner, config, "thresholds", 0.5, threshold);
    *threshold = json_number_value(json_array_get(json, 0));
    return KPAR_OK;
}

/* Adds the sum of those for which `said` is said while `label` is right. */
static kpar_status add_answers(kpar_lowering *lowering, double threshold, answer said, answer label,
                               const kpar_value_id *inputs, kpar_metric_sums *sums)
{
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x counted = constant(e, 1), yes = kpar_x_lt(e, constant(e, threshold), kpar_x_input(e, 0));
    if (said != EITHER) counted = said == YES ? yes : kpar_x_sub(e, constant(e, 1), yes);
    if (label != EITHER) counted = kpar_x_mul(e, counted, is(e, kpar_x_input(e, 1), label == YES));
    return kpar_metric_add_sum(lowering, sums, 0, e, counted, inputs, 2);
}

/* The share that is right of those that are said, or of those that should be. */
static kpar_status share_right(kpar_lowering *lowering, const json_t *config, const char *owner,
                               kpar_value_id prediction, kpar_value_id labels, bool of_said,
                               kpar_metric_sums *sums)
{
    double threshold;
    KPAR_TRY(read_threshold(owner, config, &threshold));
    KPAR_TRY(pick_class(lowering, config, owner, &prediction, &labels));
    const kpar_value_id inputs[] = {prediction, labels};
    KPAR_TRY(add_answers(lowering, threshold, YES, YES, inputs, sums));
    KPAR_TRY(add_answers(lowering, threshold, of_said ? YES : EITHER, of_said ? EITHER : YES, inputs, sums));
    sums->e = kpar_expression_begin(2);
    sums->result = kpar_metric_quotient(sums->e, kpar_x_input(sums->e, 0), kpar_x_input(sums->e, 1));
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

static kpar_status count(kpar_lowering *lowering, const json_t *config, const char *owner, answer said,
                         answer label, kpar_value_id prediction, kpar_value_id labels, kpar_metric_sums *sums)
{
    double threshold;
    KPAR_TRY(read_threshold(owner, config, &threshold));
    KPAR_TRY(add_answers(lowering, threshold, said, label, (kpar_value_id[]){prediction, labels}, sums));
    sums->e = kpar_expression_begin(1);
    sums->result = kpar_x_input(sums->e, 0);
    return KPAR_OK;
}

#define COUNT_OF(name, said, label)                                                                          \
    kpar_status name(kpar_lowering *lowering, const json_t *config, const char *owner,                       \
                     kpar_value_id prediction, kpar_value_id labels, kpar_metric_sums *sums)                 \
    {                                                                                                        \
        return count(lowering, config, owner, said, label, prediction, labels, sums);                        \
    }
COUNT_OF(kpar_metric_true_positives, YES, YES)
COUNT_OF(kpar_metric_false_positives, YES, NO)
COUNT_OF(kpar_metric_true_negatives, NO, NO)
COUNT_OF(kpar_metric_false_negatives, NO, YES)
