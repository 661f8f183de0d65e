/* Metrics, a row each: a value for each row (and further leading dimensions), whose mean is the metric; or sums over all
 * rows, and a formula of them. */
#include "model/metrics.h"

#include <string.h>

static kpar_x constant(kpar_expression_builder *e, double value) { return kpar_x_constant(e, value); }

kpar_x kpar_metric_quotient(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    kpar_x zero = constant(e, 0);
    return kpar_x_select(e, kpar_x_eq(e, b, zero), zero, kpar_x_div(e, a, b));
}

/* Whether two class numbers are the same. */
static kpar_status equal(kpar_lowering *lowering, kpar_value_id a, kpar_value_id b, kpar_value_id *values)
{
    return kpar_build_binary(lowering->graph, KPAR_SCALAR_EQUAL, a, b, values);
}

kpar_status kpar_metric_likeliest(kpar_lowering *lowering, kpar_value_id a, kpar_value_id *out)
{
    return kpar_build_arg_reduce(lowering->graph, kpar_lower_shape(lowering, a)->rank - 1, a, out);
}

static kpar_status sparse_categorical_accuracy(kpar_lowering *lowering, const json_t *config,
                                               const char *owner, kpar_value_id prediction,
                                               kpar_value_id labels, kpar_value_id *values)
{
    (void)config;
    (void)owner;
    KPAR_TRY(kpar_metric_likeliest(lowering, prediction, &prediction));
    return equal(lowering, prediction, labels, values);
}

static kpar_status categorical_accuracy(kpar_lowering *lowering, const json_t *config, const char *owner,
                                        kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    (void)config;
    (void)owner;
    KPAR_TRY(kpar_metric_likeliest(lowering, prediction, &prediction));
    KPAR_TRY(kpar_metric_likeliest(lowering, labels, &labels));
    return equal(lowering, prediction, labels, values);
}

static kpar_status binary_accuracy(kpar_lowering *lowering, const json_t *config, const char *owner,
                                   kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    double threshold;
    KPAR_TRY(kpar_config_number(owner, config, "threshold", 0.5, &threshold));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x yes = kpar_x_lt(e, kpar_x_constant(e, threshold), kpar_x_input(e, 0));
    kpar_x value = kpar_x_eq(e, yes, kpar_x_input(e, 1));
    return kpar_lower_apply(lowering, e, value, (kpar_value_id[]){prediction, labels}, 2, values);
}

static kpar_status cosine_similarity(kpar_lowering *lowering, const json_t *config, const char *owner,
                                     kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    return kpar_lower_cosine(lowering, config, owner, 1, prediction, labels, values);
}

/* Whether fewer than k classes are likelier than the one whose probability is `truth` (batch, ..., 1). */
static kpar_status in_top_k(kpar_lowering *lowering, const json_t *config, const char *owner,
                            kpar_value_id prediction, kpar_value_id truth, kpar_value_id *values)
{
    int64_t k;
    kpar_value_id likelier;
    KPAR_TRY(kpar_config_integer(owner, config, "k", 5, &k));
    KPAR_TRY(kpar_build_binary(lowering->graph, KPAR_SCALAR_LESS, truth, prediction, &likelier));
    KPAR_TRY(kpar_lower_sum_last(lowering, false, likelier, &likelier));
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x value = kpar_x_lt(e, kpar_x_input(e, 0), constant(e, (double)k));
    return kpar_lower_apply(lowering, e, value, &likelier, 1, values);
}

static kpar_status sparse_top_k(kpar_lowering *lowering, const json_t *config, const char *owner,
                                kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    kpar_graph *g = lowering->graph;
    kpar_shape shape = *kpar_lower_shape(lowering, prediction);
    const kpar_shape classes = {.rank = 1, .dims = {shape.dims[shape.rank - 1]}};
    kpar_value_id numbers, truth;
    shape.dims[shape.rank - 1] = (kpar_dim){1, false};
    KPAR_TRY(kpar_build_reshape(g, shape, labels, &labels));
    KPAR_TRY(kpar_build_iota(g, 0, KPAR_I32, classes, &numbers));
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x chosen = kpar_x_eq(e, kpar_x_input(e, 1), kpar_x_input(e, 2));
    kpar_x value = kpar_x_select(e, chosen, kpar_x_input(e, 0), constant(e, 0));
    KPAR_TRY(kpar_lower_apply(lowering, e, value, (kpar_value_id[]){prediction, labels, numbers}, 3, &truth));
    KPAR_TRY(kpar_lower_sum_last(lowering, true, truth, &truth));
    return in_top_k(lowering, config, owner, prediction, truth, values);
}

/* The class of labels (batch, ..., classes): the first of the largest. */
static kpar_status top_k(kpar_lowering *lowering, const json_t *config, const char *owner,
                         kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    KPAR_TRY(kpar_metric_likeliest(lowering, labels, &labels));
    return sparse_top_k(lowering, config, owner, prediction, labels, values);
}

kpar_status kpar_metric_add_sum(kpar_lowering *lowering, kpar_metric_sums *sums, int kept,
                                kpar_expression_builder *e, kpar_x x, const kpar_value_id *inputs,
                                int n_inputs)
{
    kpar_value_id *out = &sums->values[sums->n];
    KPAR_TRY(kpar_lower_apply(lowering, e, x, inputs, n_inputs, out));
    KPAR_TRY(kpar_lower_weighted(lowering, *out, sums->weights, -1, out));
    const unsigned axes = (1u << (kpar_lower_shape(lowering, *out)->rank - kept)) - 1;
    KPAR_TRY(kpar_build_reduce(lowering->graph, KPAR_REDUCE_SUM, axes, *out, out));
    sums->n++;
    return KPAR_OK;
}

/* The same of predictions (input 0) and labels (input 1). */
static kpar_status add_sum(kpar_lowering *lowering, kpar_metric_sums *sums, int kept,
                           kpar_expression_builder *e, kpar_x x, kpar_value_id prediction,
                           kpar_value_id labels)
{
    return kpar_metric_add_sum(lowering, sums, kept, e, x, (kpar_value_id[]){prediction, labels}, 2);
}

/* Adds the sum of the rows' weights. */
static kpar_status add_count(kpar_lowering *lowering, kpar_metric_sums *sums)
{
    return kpar_build_reduce(lowering->graph, KPAR_REDUCE_SUM, 1, sums->weights, &sums->values[sums->n++]);
}

static kpar_status root_mean_squared_error(kpar_lowering *lowering, const json_t *config, const char *owner,
                                           kpar_value_id prediction, kpar_value_id labels,
                                           kpar_metric_sums *sums)
{
    (void)config;
    (void)owner;
    const double values_each = (double)kpar_lower_elements(kpar_lower_shape(lowering, prediction), 1);
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x error = kpar_x_square(e, kpar_x_sub(e, kpar_x_input(e, 1), kpar_x_input(e, 0)));
    KPAR_TRY(add_sum(lowering, sums, 0, e, error, prediction, labels));
    KPAR_TRY(add_count(lowering, sums));
    e = sums->e = kpar_expression_begin(2);
    kpar_x count = kpar_x_mul(e, kpar_x_input(e, 1), constant(e, values_each));
    sums->result = kpar_x_sqrt(e, kpar_metric_quotient(e, kpar_x_input(e, 0), count));
    return KPAR_OK;
}

/* A mean of scores in the making. */
typedef struct mean {
    kpar_x total, weights;
} mean;

static mean mean_begin(kpar_expression_builder *e) { return (mean){constant(e, 0), constant(e, 0)}; }

static void mean_add(kpar_expression_builder *e, mean *m, kpar_x score, kpar_x weight)
{
    m->total = kpar_x_add(e, m->total, kpar_x_mul(e, score, weight));
    m->weights = kpar_x_add(e, m->weights, weight);
}

/* 1 - residuals / deviations from the mean, of each value of a row, averaged. */
static kpar_status r2_score(kpar_lowering *lowering, const json_t *config, const char *owner,
                            kpar_value_id prediction, kpar_value_id labels, kpar_metric_sums *sums)
{
    const char *aggregation;
    int64_t regressors;
    KPAR_TRY(kpar_config_string(owner, config, "class_aggregation", "uniform_average", &aggregation));
    KPAR_TRY(kpar_config_integer(owner, config, "num_regressors", 0, &regressors));
    const bool uniform = strcmp(aggregation, "uniform_average") == 0;
    const kpar_shape *shape = kpar_lower_shape(lowering, prediction);
    if ((!uniform && strcmp(aggregation, "variance_weighted_average") != 0) || regressors != 0 ||
        shape->rank != 2)
        return kpar_fail(
            KPAR_EUNSUPPORTED,
            "%s: supported are predictions (batch, values), num_regressors 0, and class_aggregation "
            "\"uniform_average\" or \"variance_weighted_average\"",
            owner);
    const int n = (int)shape->dims[1].size;
    for (int power = 0; power < 3; power++) { /* sums of y, y^2, (y - p)^2 */
        kpar_expression_builder *e = kpar_expression_begin(2);
        kpar_x y = kpar_x_input(e, 1);
        if (power == 1) y = kpar_x_square(e, y);
        if (power == 2) y = kpar_x_square(e, kpar_x_sub(e, y, kpar_x_input(e, 0)));
        KPAR_TRY(add_sum(lowering, sums, 1, e, y, prediction, labels));
    }
    KPAR_TRY(add_count(lowering, sums));
    kpar_expression_builder *e = sums->e = kpar_expression_begin(3 * n + 1);
    const kpar_x one = constant(e, 1);
    mean scores = mean_begin(e);
    for (int i = 0; i < n; i++) {
        kpar_x sum = kpar_x_input(e, i), squares = kpar_x_input(e, n + i), rest = kpar_x_input(e, 2 * n + i);
        kpar_x center = kpar_x_div(e, sum, kpar_x_input(e, 3 * n));
        kpar_x spread = kpar_x_sub(e, squares, kpar_x_mul(e, sum, center));
        kpar_x flat = kpar_x_eq(e, spread, constant(e, 0));
        kpar_x score =
            kpar_x_select(e, flat, constant(e, 0), kpar_x_sub(e, one, kpar_x_div(e, rest, spread)));
        mean_add(e, &scores, score, uniform ? one : spread);
    }
    sums->result = kpar_metric_quotient(e, scores.total, scores.weights);
    return KPAR_OK;
}

/* 1 where a prediction is a yes: above the threshold, or without one the largest of its row. */
static kpar_status decide(kpar_lowering *lowering, const json_t *config, const char *owner,
                          kpar_value_id prediction, kpar_value_id *said)
{
    double threshold;
    const bool given = json_is_number(json_object_get(config, "threshold"));
    kpar_value_id inputs[2] = {prediction, prediction};
    KPAR_TRY(kpar_config_number(owner, config, "threshold", 0, &threshold));
    if (!given) KPAR_TRY(kpar_lower_max_last(lowering, true, prediction, &inputs[1]));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x p = kpar_x_input(e, 0), yes = kpar_x_lt(e, constant(e, threshold), p);
    if (!given) {
        kpar_x sizeable = kpar_x_lt(e, constant(e, 1e-9), kpar_x_abs(e, p));
        yes = kpar_x_mul(e, kpar_x_le(e, kpar_x_input(e, 1), p), sizeable);
    }
    return kpar_lower_apply(lowering, e, yes, inputs, 2, said);
}

/* (1 + beta^2) precision recall / (beta^2 precision + recall), of each class or of all together. */
static kpar_status f_score(kpar_lowering *lowering, const json_t *config, const char *owner,
                           kpar_value_id prediction, kpar_value_id labels, kpar_metric_sums *sums)
{
    const char *average;
    double beta;
    KPAR_TRY(kpar_config_string(owner, config, "average", "none", &average));
    KPAR_TRY(kpar_config_number(owner, config, "beta", 1, &beta));
    const bool micro = strcmp(average, "micro") == 0, weighted = strcmp(average, "weighted") == 0;
    if (!micro && !weighted && strcmp(average, "macro") != 0)
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: argument 'average' is %s; supported are: micro, macro, weighted", owner,
                         average);
    const kpar_shape *shape = kpar_lower_shape(lowering, prediction);
    const int n = micro ? 1 : (int)shape->dims[shape->rank - 1].size;
    KPAR_TRY(decide(lowering, config, owner, prediction, &prediction));
    for (int k = 0; k < 3; k++) { /* yeses that are right, all yeses, all that should be */
        kpar_expression_builder *e = kpar_expression_begin(2);
        kpar_x said = kpar_x_input(e, 0), is = kpar_x_input(e, 1);
        KPAR_TRY(add_sum(lowering, sums, micro ? 0 : 1, e,
                         k == 0   ? kpar_x_mul(e, said, is)
                         : k == 1 ? said
                                  : is,
                         prediction, labels));
    }
    kpar_expression_builder *e = sums->e = kpar_expression_begin(3 * n);
    const kpar_x epsilon = constant(e, 1e-7);
    mean scores = mean_begin(e);
    for (int i = 0; i < n; i++) {
        kpar_x right = kpar_x_input(e, i), is = kpar_x_input(e, 2 * n + i);
        kpar_x exact = kpar_x_div(e, right, kpar_x_add(e, kpar_x_input(e, n + i), epsilon));
        kpar_x found = kpar_x_div(e, right, kpar_x_add(e, is, epsilon));
        kpar_x mix = kpar_x_add(e, kpar_x_mul(e, exact, constant(e, beta * beta)), found);
        kpar_x score = kpar_x_div(e, kpar_x_mul(e, exact, found), kpar_x_add(e, mix, epsilon));
        mean_add(e, &scores, score, weighted ? is : constant(e, 1));
    }
    const kpar_x weights = weighted ? kpar_x_add(e, scores.weights, epsilon) : scores.weights;
    sums->result = kpar_x_mul(e, kpar_x_div(e, scores.total, weights), constant(e, 1 + beta * beta));
    return KPAR_OK;
}

static const kpar_metric_row rows[] = {
    {"BinaryAccuracy", "", "share of values on the right side of the threshold", "threshold",
     .lower = binary_accuracy},
    {"CategoricalAccuracy", "", "share of rows whose likeliest class is the label's", "",
     .lower = categorical_accuracy},
    {"SparseCategoricalAccuracy", "", "share of rows whose likeliest class is the label", "",
     .lower = sparse_categorical_accuracy, .sparse = true},
    {"TopKCategoricalAccuracy", "", "share of rows whose label's class is among the k likeliest", "k",
     .lower = top_k},
    {"SparseTopKCategoricalAccuracy", "", "share of rows whose label is among the k likeliest", "k",
     .lower = sparse_top_k, .sparse = true},
    {"CosineSimilarity", "", "1 for the same direction, -1 for the opposite", "axis",
     .lower = cosine_similarity},
    {"RootMeanSquaredError", "rmse RMSE", "root of the mean of (y - p)^2", "",
     .sums = root_mean_squared_error},
    {"R2Score", "", "share of the labels' spread that predictions explain",
     "class_aggregation num_regressors", .sums = r2_score},
    {"Precision", "", "share of the yeses that are right", "thresholds class_id", .sums = kpar_metric_precision},
    {"Recall", "", "share of the right yeses that are said", "thresholds class_id", .sums = kpar_metric_recall},
    {"TruePositives", "", "yeses that are right", "thresholds", .sums = kpar_metric_true_positives},
    {"FalsePositives", "", "yeses that are wrong", "thresholds", .sums = kpar_metric_false_positives},
    {"TrueNegatives", "", "noes that are right", "thresholds", .sums = kpar_metric_true_negatives},
    {"FalseNegatives", "", "noes that are wrong", "thresholds", .sums = kpar_metric_false_negatives},
    {"F1Score", "", "harmonic mean of precision and recall", "average threshold", .sums = f_score},
    {"FBetaScore", "", "weighted harmonic mean of precision and recall", "average threshold beta",
     .sums = f_score},
    {"AUC", "", "area under the curve of true over false yeses",
     "num_thresholds curve summation_method from_logits", .sums = kpar_metric_area_under_curve},
    {"SensitivityAtSpecificity", "", "the best share of yeses found at a specificity",
     "specificity num_thresholds class_id", .sums = kpar_metric_sensitivity},
    {"SpecificityAtSensitivity", "", "the best share of noes left alone at a sensitivity",
     "sensitivity num_thresholds class_id", .sums = kpar_metric_specificity},
    {"PrecisionAtRecall", "", "the best precision at a recall", "recall num_thresholds class_id",
     .sums = kpar_metric_precision_at_recall},
    {"RecallAtPrecision", "", "the best recall at a precision", "precision num_thresholds class_id",
     .sums = kpar_metric_recall_at_precision},
    {"IoU", "", "intersection over union of some classes",
     "num_classes target_class_ids ignore_class sparse_y_true sparse_y_pred axis", .sums = kpar_metric_iou,
     .either = true},
    {"MeanIoU", "", "intersection over union of all classes",
     "num_classes ignore_class sparse_y_true sparse_y_pred axis", .sums = kpar_metric_mean_iou,
     .either = true},
    {"BinaryIoU", "", "intersection over union of no and yes", "target_class_ids threshold",
     .sums = kpar_metric_binary_iou},
    {"OneHotIoU", "", "intersection over union of some classes, of one-hot labels",
     "num_classes target_class_ids ignore_class sparse_y_pred axis", .sums = kpar_metric_one_hot_iou},
    {"OneHotMeanIoU", "", "intersection over union of all classes, of one-hot labels",
     "num_classes ignore_class sparse_y_pred axis", .sums = kpar_metric_one_hot_mean_iou},
    {"PearsonCorrelation", "", "of predictions and labels of a row", "axis", .lower = kpar_metric_pearson},
    {"ConcordanceCorrelation", "", "of predictions and labels of a row", "axis",
     .lower = kpar_metric_concordance},
    {"MeanSquaredError", "mse MSE", "the loss", "", .lower = NULL},
    {"MeanAbsoluteError", "mae MAE", "the loss", "", .lower = NULL},
    {"MeanAbsolutePercentageError", "mape MAPE", "the loss", "", .lower = NULL},
    {"MeanSquaredLogarithmicError", "msle MSLE", "the loss", "", .lower = NULL},
    {"Poisson", "", "the loss", "", .lower = NULL},
    {"KLDivergence", "kld KLD", "the loss", "", .lower = NULL},
    {"LogCosh", "logcosh LogCoshError", "the loss", "", .lower = NULL},
    {"Hinge", "", "the loss", "", .lower = NULL},
    {"SquaredHinge", "", "the loss", "", .lower = NULL},
    {"CategoricalHinge", "", "the loss", "", .lower = NULL},
    {"BinaryCrossentropy", "bce BCE", "the loss", "from_logits label_smoothing axis", .lower = NULL},
    {"CategoricalCrossentropy", "", "the loss", "from_logits label_smoothing axis", .lower = NULL},
    {"SparseCategoricalCrossentropy", "", "the loss", "from_logits axis", .lower = NULL, .sparse = true},
};

const kpar_metric_row *kpar_metric_rows(int *n)
{
    *n = (int)(sizeof rows / sizeof rows[0]);
    return rows;
}
