/* Intersection over union of classes, from sums for each class: how often it is both the label's and the prediction's,
 * and how often each of them. These are the diagonal and the margins of the confusion matrix, all that is asked of it. */
#include "model/metrics.h"

#include <string.h>

/* Classes as numbers of the values' own, or those of the likeliest. */
static kpar_status class_numbers(kpar_lowering *lowering, bool sparse, bool whole, kpar_value_id value,
                                 kpar_value_id *numbers)
{
    *numbers = value;
    if (!sparse)
        KPAR_TRY(kpar_metric_likeliest(lowering, value, numbers));
    else if (whole)
        KPAR_TRY(kpar_build_cast(lowering->graph, KPAR_I32, value, numbers));
    return kpar_lower_real(lowering, *numbers, numbers);
}

/* The metric's dtype is of whole numbers unless the config says otherwise: then so are weights and classes, cut off. */
static kpar_status read_whole(const json_t *config, const char *owner, bool *whole)
{
    const char *dtype;
    KPAR_TRY(kpar_config_string(owner, config, "dtype", "int64", &dtype));
    *whole = strstr(dtype, "int") != NULL;
    return KPAR_OK;
}

static kpar_x within(kpar_expression_builder *e, kpar_x number, int64_t n)
{
    return kpar_x_mul(e, kpar_x_le(e, kpar_x_constant(e, 0), number),
                      kpar_x_lt(e, number, kpar_x_constant(e, (double)n)));
}

/* Adds the sums of each class: where labels and predictions both are of it, where labels are, where predictions are.
 * Places where either is no class or the label is the ignored one do not count. */
static kpar_status add_classes(kpar_lowering *lowering, const json_t *config, const char *owner, int64_t n,
                               kpar_value_id prediction, kpar_value_id labels, kpar_metric_sums *sums)
{
    const int rank = kpar_lower_shape(lowering, prediction)->rank;
    int64_t ignored;
    kpar_value_id inputs[3];
    KPAR_TRY(kpar_config_integer(owner, config, "ignore_class", n, &ignored));
    KPAR_TRY(kpar_lower_insert(lowering, rank, labels, &inputs[0]));
    KPAR_TRY(kpar_lower_insert(lowering, rank, prediction, &inputs[1]));
    const kpar_shape classes = {.rank = 1, .dims = {{n, false}}};
    KPAR_TRY(kpar_build_iota(lowering->graph, 0, KPAR_I32, classes, &inputs[2]));
    for (int k = 0; k < 3; k++) {
        kpar_expression_builder *e = kpar_expression_begin(3);
        kpar_x truth = kpar_x_floor(e, kpar_x_input(e, 0)), said = kpar_x_floor(e, kpar_x_input(e, 1));
        kpar_x i = kpar_x_input(e, 2), is = kpar_x_eq(e, truth, i), says = kpar_x_eq(e, said, i);
        kpar_x counts = kpar_x_mul(e, within(e, truth, n), within(e, said, n));
        kpar_x other = kpar_x_eq(e, truth, kpar_x_constant(e, (double)ignored));
        counts = kpar_x_select(e, other, kpar_x_constant(e, 0), counts);
        kpar_x counted = k == 0 ? kpar_x_mul(e, is, says) : k == 1 ? is : says;
        KPAR_TRY(kpar_metric_add_sum(lowering, sums, 1, e, kpar_x_mul(e, counted, counts), inputs, 3));
    }
    return KPAR_OK;
}

static kpar_status read_target(const json_t *json, const char *owner, int64_t n, int *target)
{
    *target = (int)json_integer_value(json);
    if (json_is_integer(json) && json_integer_value(json) >= 0 && json_integer_value(json) < n)
        return KPAR_OK;
    return kpar_fail(KPAR_EFORMAT, "%s: argument 'target_class_ids': expected class numbers from 0 to %lld",
                     owner, (long long)n - 1);
}

/* The mean of the targets' intersections over unions, of those that occur. */
static kpar_status mean_of(const json_t *targets, const char *owner, int64_t n, kpar_metric_sums *sums)
{
    kpar_expression_builder *e = sums->e = kpar_expression_begin(3 * (int)n);
    const kpar_x epsilon = kpar_x_constant(e, 1e-7), zero = kpar_x_constant(e, 0);
    const size_t count = targets ? json_array_size(targets) : (size_t)n;
    kpar_x total = zero, present = zero;
    for (size_t k = 0; k < count; k++) {
        int i = (int)k;
        if (targets) KPAR_TRY(read_target(json_array_get(targets, k), owner, n, &i));
        kpar_x both = kpar_x_input(e, i);
        kpar_x either = kpar_x_add(e, kpar_x_input(e, (int)n + i), kpar_x_input(e, 2 * (int)n + i));
        either = kpar_x_sub(e, either, both);
        kpar_x occurs = kpar_x_lt(e, kpar_x_constant(e, 1e-9), either);
        kpar_x overlap = kpar_x_div(e, both, kpar_x_add(e, either, epsilon));
        total = kpar_x_add(e, total, kpar_x_select(e, occurs, overlap, zero));
        present = kpar_x_add(e, present, occurs);
    }
    sums->result = kpar_x_div(e, total, kpar_x_add(e, present, epsilon));
    return KPAR_OK;
}

/* Labels and predictions are class numbers, or have a value for each class. */
typedef struct coding {
    bool labels_sparse, prediction_sparse;
} coding;

static kpar_status overlap(kpar_lowering *lowering, const json_t *config, const char *owner, int64_t n,
                           const json_t *targets, coding as, kpar_value_id prediction, kpar_value_id labels,
                           kpar_metric_sums *sums)
{
    char of_labels[KPAR_SHAPE_TEXT], of_prediction[KPAR_SHAPE_TEXT];
    bool whole;
    if (targets && (!json_is_array(targets) || json_array_size(targets) == 0))
        return kpar_fail(KPAR_EFORMAT, "%s: argument 'target_class_ids': expected a list of class numbers",
                         owner);
    if (!as.labels_sparse && kpar_lower_shape(lowering, labels)->rank < 2)
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: the loss of the output takes class numbers as labels, but "
                         "the metric expects a value for each class (sparse_y_true false)",
                         owner);
    KPAR_TRY(read_whole(config, owner, &whole));
    KPAR_TRY(class_numbers(lowering, as.labels_sparse, whole, labels, &labels));
    KPAR_TRY(class_numbers(lowering, as.prediction_sparse, whole, prediction, &prediction));
    const kpar_shape *want = kpar_lower_shape(lowering, prediction),
                     *found = kpar_lower_shape(lowering, labels);
    if (!kpar_shape_equal(want, found))
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: class numbers of labels are %s, those of predictions %s; see sparse_y_true and "
                         "sparse_y_pred",
                         owner, kpar_shape_format(of_labels, found), kpar_shape_format(of_prediction, want));
    if (whole) KPAR_TRY(class_numbers(lowering, true, true, sums->weights, &sums->weights));
    KPAR_TRY(add_classes(lowering, config, owner, n, prediction, labels, sums));
    return mean_of(targets, owner, n, sums);
}

/* Of many classes; of all of them, or of `target_class_ids`. */
static kpar_status of_classes(kpar_lowering *lowering, const json_t *config, const char *owner, bool one_hot,
                              bool all, kpar_value_id prediction, kpar_value_id labels,
                              kpar_metric_sums *sums)
{
    coding as = {true, true};
    int64_t n, axis;
    KPAR_TRY(kpar_config_integer(owner, config, "num_classes", 0, &n));
    KPAR_TRY(kpar_config_integer(owner, config, "axis", -1, &axis));
    KPAR_TRY(kpar_config_boolean(owner, config, "sparse_y_true", !one_hot, &as.labels_sparse));
    KPAR_TRY(kpar_config_boolean(owner, config, "sparse_y_pred", !one_hot, &as.prediction_sparse));
    if (n < 1 || n > 10000 || axis != -1)
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: supported are num_classes from 1 to 10000 and axis -1; found %lld and %lld",
                         owner, (long long)n, (long long)axis);
    const json_t *targets = json_object_get(config, "target_class_ids");
    if (!all && !targets) return kpar_fail(KPAR_EFORMAT, "%s: argument 'target_class_ids' is missing", owner);
    return overlap(lowering, config, owner, n, all ? NULL : targets, as, prediction, labels, sums);
}

/* Two classes: predictions from the threshold on are of class 1. */
kpar_status kpar_metric_binary_iou(kpar_lowering *lowering, const json_t *config, const char *owner,
                                   kpar_value_id prediction, kpar_value_id labels, kpar_metric_sums *sums)
{
    const json_t *targets = json_object_get(config, "target_class_ids");
    double threshold;
    KPAR_TRY(kpar_config_number(owner, config, "threshold", 0.5, &threshold));
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x yes = kpar_x_le(e, kpar_x_constant(e, threshold), kpar_x_input(e, 0));
    KPAR_TRY(kpar_lower_apply(lowering, e, yes, &prediction, 1, &prediction));
    return overlap(lowering, config, owner, 2, targets, (coding){true, true}, prediction, labels, sums);
}

#define OF_CLASSES(name, one_hot, all)                                                                       \
    kpar_status name(kpar_lowering *lowering, const json_t *config, const char *owner,                       \
                     kpar_value_id prediction, kpar_value_id labels, kpar_metric_sums *sums)                 \
    {                                                                                                        \
        return of_classes(lowering, config, owner, one_hot, all, prediction, labels, sums);                  \
    }
OF_CLASSES(kpar_metric_iou, false, false)
OF_CLASSES(kpar_metric_mean_iou, false, true)
OF_CLASSES(kpar_metric_one_hot_iou, true, false)
OF_CLASSES(kpar_metric_one_hot_mean_iou, true, true)
