/* Metrics, a row each: a value for each row (and further leading dimensions), whose mean is the metric; or sums over all
 * rows, and a formula of them. */
#include "model/metrics.h"

#include <string.h>

kpar_x kpar_metric_quotient(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    kpar_x zero = kpar_x_constant(e, 0);
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

/* Class numbers (batch, ...) are compared with all values of their row. */
static kpar_status accuracy(kpar_lowering *lowering, const json_t *config, const char *owner,
                            kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    (void)config;
    (void)owner;
    const int rank = kpar_lower_shape(lowering, prediction)->rank;
    if (kpar_lower_shape(lowering, labels)->rank < rank)
        KPAR_TRY(kpar_lower_insert(lowering, rank - 1, labels, &labels));
    KPAR_TRY(kpar_lower_real(lowering, labels, &labels));
    return equal(lowering, prediction, labels, values);
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
    kpar_x value = kpar_x_lt(e, kpar_x_input(e, 0), kpar_x_constant(e, (double)k));
    return kpar_lower_apply(lowering, e, value, &likelier, 1, values);
}

/* Whether one of the first k predictions, which are class numbers, is the label. */
static kpar_status among_first(kpar_lowering *lowering, const json_t *config, const char *owner,
                               kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    int64_t k;
    const int last = kpar_lower_shape(lowering, prediction)->rank - 1;
    const int64_t n = kpar_lower_shape(lowering, prediction)->dims[last].size;
    KPAR_TRY(kpar_config_integer(owner, config, "k", 5, &k));
    KPAR_TRY(kpar_lower_cut(lowering, last, 0, k < n ? k : n, prediction, &prediction));
    KPAR_TRY(accuracy(lowering, config, owner, prediction, labels, values));
    return kpar_lower_max_last(lowering, false, *values, values);
}

static kpar_status sparse_top_k(kpar_lowering *lowering, const json_t *config, const char *owner,
                                kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    kpar_graph *g = lowering->graph;
    bool sorted;
    KPAR_TRY(kpar_config_boolean(owner, config, "from_sorted_ids", false, &sorted));
    if (sorted) return among_first(lowering, config, owner, prediction, labels, values);
    kpar_shape shape = *kpar_lower_shape(lowering, prediction);
    const kpar_shape classes = {.rank = 1, .dims = {shape.dims[shape.rank - 1]}};
    kpar_value_id numbers, truth;
    shape.dims[shape.rank - 1] = (kpar_dim){1, false};
    KPAR_TRY(kpar_build_reshape(g, shape, labels, &labels));
    KPAR_TRY(kpar_build_iota(g, 0, KPAR_I32, classes, &numbers));
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x chosen = kpar_x_eq(e, kpar_x_input(e, 1), kpar_x_input(e, 2));
    kpar_x value = kpar_x_select(e, chosen, kpar_x_input(e, 0), kpar_x_constant(e, 0));
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

kpar_status kpar_metric_add_count(kpar_lowering *lowering, kpar_metric_sums *sums, kpar_value_id weights)
{
    const unsigned all = (1u << kpar_lower_shape(lowering, weights)->rank) - 1;
    return kpar_build_reduce(lowering->graph, KPAR_REDUCE_SUM, all, weights, &sums->values[sums->n++]);
}

kpar_x *kpar_metric_vector(kpar_lowering *lowering, kpar_metric_sums *sums, int n)
{
    sums->results = kpar_arena_alloc(lowering->arena, (size_t)n * sizeof *sums->results);
    sums->n_results = n;
    return sums->results;
}

static kpar_status root_mean_squared_error(kpar_lowering *lowering, const json_t *config, const char *owner,
                                           kpar_value_id prediction, kpar_value_id labels,
                                           kpar_metric_sums *sums)
{
    (void)config;
    (void)owner;
    const double values_each = (double)kpar_lower_elements(kpar_lower_shape(lowering, prediction), 1) /
                               (double)kpar_lower_elements(kpar_lower_shape(lowering, sums->weights), 1);
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x error = kpar_x_square(e, kpar_x_sub(e, kpar_x_input(e, 1), kpar_x_input(e, 0)));
    KPAR_TRY(kpar_metric_add_sum(lowering, sums, 0, e, error, (kpar_value_id[]){prediction, labels}, 2));
    KPAR_TRY(kpar_metric_add_count(lowering, sums, sums->weights));
    e = sums->e = kpar_expression_begin(2);
    kpar_x count = kpar_x_mul(e, kpar_x_input(e, 1), kpar_x_constant(e, values_each));
    sums->result = kpar_x_sqrt(e, kpar_metric_quotient(e, kpar_x_input(e, 0), count));
    return KPAR_OK;
}

static const kpar_metric_row rows[] = {
    {"Accuracy", "", "share of values that are the labels'", "", .lower = accuracy, .either = true},
    {"BinaryAccuracy", "", "share of values on the right side of the threshold", "threshold",
     .lower = binary_accuracy},
    {"CategoricalAccuracy", "", "share of rows whose likeliest class is the label's", "",
     .lower = categorical_accuracy},
    {"SparseCategoricalAccuracy", "", "share of rows whose likeliest class is the label", "",
     .lower = sparse_categorical_accuracy, .sparse = true},
    {"TopKCategoricalAccuracy", "", "share of rows whose label's class is among the k likeliest", "k",
     .lower = top_k},
    {"SparseTopKCategoricalAccuracy", "", "share of rows whose label is among the k likeliest",
     "k from_sorted_ids", .lower = sparse_top_k, .sparse = true},
    {"CosineSimilarity", "", "1 for the same direction, -1 for the opposite", "axis",
     .lower = cosine_similarity},
    {"RootMeanSquaredError", "rmse RMSE", "root of the mean of (y - p)^2", "",
     .sums = root_mean_squared_error},
    {"R2Score", "", "share of the labels' spread that predictions explain",
     "class_aggregation num_regressors", .sums = kpar_metric_r2_score},
    {"Precision", "", "share of the yeses that are right", "thresholds top_k class_id",
     .sums = kpar_metric_precision},
    {"Recall", "", "share of the right yeses that are said", "thresholds top_k class_id",
     .sums = kpar_metric_recall},
    {"TruePositives", "", "yeses that are right", "thresholds", .sums = kpar_metric_true_positives},
    {"FalsePositives", "", "yeses that are wrong", "thresholds", .sums = kpar_metric_false_positives},
    {"TrueNegatives", "", "noes that are right", "thresholds", .sums = kpar_metric_true_negatives},
    {"FalseNegatives", "", "noes that are wrong", "thresholds", .sums = kpar_metric_false_negatives},
    {"F1Score", "", "harmonic mean of precision and recall", "average threshold",
     .sums = kpar_metric_f_score},
    {"FBetaScore", "", "weighted harmonic mean of precision and recall", "average threshold beta",
     .sums = kpar_metric_f_score},
    {"AUC", "", "area under the curve of true over false yeses, or of precision over recall",
     "num_thresholds curve summation_method thresholds multi_label num_labels label_weights from_logits",
     .sums = kpar_metric_area_under_curve},
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
    {"LogCosh", "logcosh LogCoshError log_cosh_error", "the loss", "", .lower = NULL},
    {"Hinge", "", "the loss", "", .lower = NULL},
    {"SquaredHinge", "", "the loss", "", .lower = NULL},
    {"CategoricalHinge", "", "the loss", "", .lower = NULL},
    {"BinaryCrossentropy", "bce BCE", "the loss", "from_logits label_smoothing axis", .lower = NULL},
    {"CategoricalCrossentropy", "", "the loss", "from_logits label_smoothing axis", .lower = NULL},
    {"SparseCategoricalCrossentropy", "", "the loss", "from_logits axis ignore_class", .lower = NULL,
     .sparse = true},
};

const kpar_metric_row *kpar_metric_rows(int *n)
{
    *n = (int)(sizeof rows / sizeof rows[0]);
    return rows;
}

const kpar_metric_row *kpar_metric_row_find(const char *name)
{
    return kpar_table_find(rows, (int)(sizeof rows / sizeof rows[0]), sizeof rows[0], name);
}

static bool is_word(const json_t *object, const char *key, const char *word)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text && strcmp(text, word) == 0;
}

/* Functions are those of losses, but for accuracies; a MeanMetricWrapper is its function with further arguments. */
kpar_status kpar_metric_find(const char *owner, const json_t *metric, kpar_metric_named *named)
{
    const bool is_function =
        is_word(metric, "class_name", "function") || is_word(metric, "class_name", "MeanMetricWrapper");
    KPAR_TRY(kpar_config_unwrapped(owner, metric, "MeanMetricWrapper", &named->class_name, &named->config));
    named->is_object = is_word(metric, "module", "keras.losses") && !is_function;
    named->loss = is_function || named->is_object ? kpar_loss_row_find(named->class_name) : NULL;
    named->row = named->loss ? NULL : kpar_metric_row_find(named->class_name);
    return KPAR_OK;
}
