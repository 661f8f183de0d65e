/* Metrics, a row each: a value for each row (and further leading dimensions), whose mean is the metric; or sums over all
 * rows, and a formula of them. */
#include "model/lower_internal.h"

#include <string.h>

static kpar_x constant(kpar_expression_builder *e, double value) { return kpar_x_constant(e, value); }

/* a / b, 0 where b is 0. */
static kpar_x quotient(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    kpar_x zero = constant(e, 0);
    return kpar_x_select(e, kpar_x_eq(e, b, zero), zero, kpar_x_div(e, a, b));
}

/* Whether two class numbers are the same. */
static kpar_status equal(kpar_lowering *lowering, kpar_value_id a, kpar_value_id b, kpar_value_id *values)
{
    return kpar_build_binary(lowering->graph, KPAR_SCALAR_EQUAL, a, b, values);
}

static kpar_status most_likely(kpar_lowering *lowering, kpar_value_id a, kpar_value_id *out)
{
    return kpar_build_arg_reduce(lowering->graph, kpar_lower_shape(lowering, a)->rank - 1, a, out);
}

static kpar_status sparse_categorical_accuracy(kpar_lowering *lowering, const json_t *config,
                                               const char *owner, kpar_value_id prediction,
                                               kpar_value_id labels, kpar_value_id *values)
{
    (void)config;
    (void)owner;
    KPAR_TRY(most_likely(lowering, prediction, &prediction));
    return equal(lowering, prediction, labels, values);
}

static kpar_status categorical_accuracy(kpar_lowering *lowering, const json_t *config, const char *owner,
                                        kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    (void)config;
    (void)owner;
    KPAR_TRY(most_likely(lowering, prediction, &prediction));
    KPAR_TRY(most_likely(lowering, labels, &labels));
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
    KPAR_TRY(most_likely(lowering, labels, &labels));
    return sparse_top_k(lowering, config, owner, prediction, labels, values);
}

/* Adds the sum of an expression of predictions (input 0) and labels (input 1), times the rows' weights, over the
 * dimensions `axes`. */
static kpar_status add_sum(kpar_lowering *lowering, kpar_metric_sums *sums, unsigned axes,
                           kpar_expression_builder *e, kpar_x x, kpar_value_id prediction,
                           kpar_value_id labels)
{
    kpar_value_id *out = &sums->values[sums->n];
    KPAR_TRY(kpar_lower_apply(lowering, e, x, (kpar_value_id[]){prediction, labels}, 2, out));
    KPAR_TRY(kpar_lower_weighted(lowering, *out, sums->weights, -1, out));
    KPAR_TRY(kpar_build_reduce(lowering->graph, KPAR_REDUCE_SUM, axes, *out, out));
    sums->n++;
    return KPAR_OK;
}

static unsigned all_dims(const kpar_lowering *lowering, kpar_value_id value)
{
    return (1u << kpar_lower_shape(lowering, value)->rank) - 1;
}

static unsigned all_but_last(const kpar_lowering *lowering, kpar_value_id value)
{
    return all_dims(lowering, value) >> 1;
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
    KPAR_TRY(add_sum(lowering, sums, all_dims(lowering, prediction), e, error, prediction, labels));
    KPAR_TRY(add_count(lowering, sums));
    e = sums->e = kpar_expression_begin(2);
    kpar_x count = kpar_x_mul(e, kpar_x_input(e, 1), constant(e, values_each));
    sums->result = kpar_x_sqrt(e, quotient(e, kpar_x_input(e, 0), count));
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
    sums->result = quotient(e, scores.total, scores.weights);
    return KPAR_OK;
}

/* The probability from which on a prediction is a yes. */
static kpar_status read_threshold(const char *owner, const json_t *config, const char *key, double *threshold)
{
    const json_t *json = json_object_get(config, key);
    if (json_is_array(json) && json_array_size(json) == 1) {
        *threshold = json_number_value(json_array_get(json, 0));
        return KPAR_OK;
    }
    return kpar_config_number(owner, config, key, 0.5, threshold);
}

/* Sums of yeses that are right, and of all yeses or of all that should be. */
static kpar_status share_right(kpar_lowering *lowering, const json_t *config, const char *owner,
                               kpar_value_id prediction, kpar_value_id labels, bool of_said,
                               kpar_metric_sums *sums)
{
    double threshold;
    KPAR_TRY(read_threshold(owner, config, "thresholds", &threshold));
    const unsigned all = all_dims(lowering, prediction);
    for (int k = 0; k < 2; k++) {
        kpar_expression_builder *e = kpar_expression_begin(2);
        kpar_x said = kpar_x_lt(e, constant(e, threshold), kpar_x_input(e, 0)), zero = constant(e, 0);
        kpar_x is = kpar_x_select(e, kpar_x_eq(e, kpar_x_input(e, 1), zero), zero, constant(e, 1));
        kpar_x counted = k == 0 ? kpar_x_mul(e, said, is) : of_said ? said : is;
        KPAR_TRY(add_sum(lowering, sums, all, e, counted, prediction, labels));
    }
    sums->e = kpar_expression_begin(2);
    sums->result = quotient(sums->e, kpar_x_input(sums->e, 0), kpar_x_input(sums->e, 1));
    return KPAR_OK;
}

static kpar_status precision(kpar_lowering *lowering, const json_t *config, const char *owner,
                             kpar_value_id prediction, kpar_value_id labels, kpar_metric_sums *sums)
{
    return share_right(lowering, config, owner, prediction, labels, true, sums);
}

static kpar_status recall(kpar_lowering *lowering, const json_t *config, const char *owner,
                          kpar_value_id prediction, kpar_value_id labels, kpar_metric_sums *sums)
{
    return share_right(lowering, config, owner, prediction, labels, false, sums);
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
    const unsigned axes = micro ? all_dims(lowering, prediction) : all_but_last(lowering, prediction);
    KPAR_TRY(decide(lowering, config, owner, prediction, &prediction));
    for (int k = 0; k < 3; k++) { /* yeses that are right, all yeses, all that should be */
        kpar_expression_builder *e = kpar_expression_begin(2);
        kpar_x said = kpar_x_input(e, 0), is = kpar_x_input(e, 1);
        KPAR_TRY(add_sum(lowering, sums, axes, e,
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

/* Area under the curve of true over false yeses, as trapezoids between thresholds. */
static kpar_status area_under_curve(kpar_lowering *lowering, const json_t *config, const char *owner,
                                    kpar_value_id prediction, kpar_value_id labels, kpar_metric_sums *sums)
{
    const char *curve, *method;
    int64_t n;
    bool logits;
    kpar_graph *g = lowering->graph;
    KPAR_TRY(kpar_config_string(owner, config, "curve", "ROC", &curve));
    KPAR_TRY(kpar_config_string(owner, config, "summation_method", "interpolation", &method));
    KPAR_TRY(kpar_config_integer(owner, config, "num_thresholds", 200, &n));
    KPAR_TRY(kpar_config_boolean(owner, config, "from_logits", false, &logits));
    if (strcmp(curve, "ROC") != 0 || strcmp(method, "interpolation") != 0 || n < 2)
        return kpar_fail(
            KPAR_EUNSUPPORTED,
            "%s: supported are curve \"ROC\", summation_method \"interpolation\" and 2 thresholds or "
            "more; found \"%s\", \"%s\" and %lld",
            owner, curve, method, (long long)n);
    kpar_shape shape = *kpar_lower_shape(lowering, prediction);
    shape.dims[shape.rank++] = (kpar_dim){1, false};
    kpar_value_id inputs[3] = {prediction, labels, -1};
    KPAR_TRY(kpar_build_reshape(g, shape, prediction, &inputs[0]));
    KPAR_TRY(kpar_build_reshape(g, shape, labels, &inputs[1]));
    KPAR_TRY(kpar_build_iota(g, 0, KPAR_I32, (kpar_shape){.rank = 1, .dims = {{n, false}}}, &inputs[2]));
    for (int k = 0; k < 2; k++) { /* yeses that are right and wrong, of each threshold */
        kpar_expression_builder *e = kpar_expression_begin(3);
        kpar_x p = kpar_x_input(e, 0), y = kpar_x_input(e, 1), i = kpar_x_input(e, 2);
        kpar_x threshold = kpar_x_div(e, i, constant(e, (double)(n - 1)));
        threshold = kpar_x_select(e, kpar_x_eq(e, i, constant(e, 0)), constant(e, -1e-7), threshold);
        threshold =
            kpar_x_select(e, kpar_x_eq(e, i, constant(e, (double)(n - 1))), constant(e, 1 + 1e-7), threshold);
        kpar_x said = kpar_x_lt(e, threshold, logits ? kpar_x_sigmoid(e, p) : p);
        kpar_x counted = kpar_x_mul(e, said, k == 0 ? y : kpar_x_sub(e, constant(e, 1), y));
        kpar_value_id *out = &sums->values[sums->n++];
        KPAR_TRY(kpar_lower_apply(lowering, e, counted, inputs, 3, out));
        KPAR_TRY(kpar_lower_weighted(lowering, *out, sums->weights, -1, out));
        KPAR_TRY(kpar_build_reduce(g, KPAR_REDUCE_SUM, all_but_last(lowering, *out), *out, out));
    }
    kpar_expression_builder *e = sums->e = kpar_expression_begin(2 * (int)n);
    kpar_x area = constant(e, 0), half = constant(e, 0.5);
    for (int i = 0; i + 1 < (int)n; i++) {
        kpar_x width = kpar_x_sub(e, kpar_x_input(e, (int)n + i), kpar_x_input(e, (int)n + i + 1));
        kpar_x height = kpar_x_mul(e, kpar_x_add(e, kpar_x_input(e, i), kpar_x_input(e, i + 1)), half);
        area = kpar_x_add(e, area, kpar_x_mul(e, width, height));
    }
    kpar_x whole = kpar_x_mul(e, kpar_x_input(e, 0), kpar_x_input(e, (int)n));
    sums->result = quotient(e, area, whole);
    return KPAR_OK;
}

static const kpar_metric_row rows[] = {
    {"BinaryAccuracy", "", "share of values on the right side of the threshold", "threshold", binary_accuracy,
     false, NULL},
    {"CategoricalAccuracy", "", "share of rows whose likeliest class is the label's", "",
     categorical_accuracy, false, NULL},
    {"SparseCategoricalAccuracy", "", "share of rows whose likeliest class is the label", "",
     sparse_categorical_accuracy, true, NULL},
    {"TopKCategoricalAccuracy", "", "share of rows whose label's class is among the k likeliest", "k", top_k,
     false, NULL},
    {"SparseTopKCategoricalAccuracy", "", "share of rows whose label is among the k likeliest", "k",
     sparse_top_k, true, NULL},
    {"CosineSimilarity", "", "1 for the same direction, -1 for the opposite", "axis", cosine_similarity,
     false, NULL},
    {"RootMeanSquaredError", "rmse RMSE", "root of the mean of (y - p)^2", "", NULL, false,
     root_mean_squared_error},
    {"R2Score", "", "share of the labels' spread that predictions explain",
     "class_aggregation num_regressors", NULL, false, r2_score},
    {"Precision", "", "share of the yeses that are right", "thresholds", NULL, false, precision},
    {"Recall", "", "share of the right yeses that are said", "thresholds", NULL, false, recall},
    {"F1Score", "", "harmonic mean of precision and recall", "average threshold", NULL, false, f_score},
    {"FBetaScore", "", "weighted harmonic mean of precision and recall", "average threshold beta", NULL,
     false, f_score},
    {"AUC", "", "area under the curve of true over false yeses",
     "num_thresholds curve summation_method from_logits", NULL, false, area_under_curve},
    {"MeanSquaredError", "mse MSE", "the loss", "", NULL, false, NULL},
    {"MeanAbsoluteError", "mae MAE", "the loss", "", NULL, false, NULL},
    {"MeanAbsolutePercentageError", "mape MAPE", "the loss", "", NULL, false, NULL},
    {"MeanSquaredLogarithmicError", "msle MSLE", "the loss", "", NULL, false, NULL},
    {"Poisson", "", "the loss", "", NULL, false, NULL},
    {"KLDivergence", "kld KLD", "the loss", "", NULL, false, NULL},
    {"LogCosh", "logcosh", "the loss", "", NULL, false, NULL},
    {"Hinge", "", "the loss", "", NULL, false, NULL},
    {"SquaredHinge", "", "the loss", "", NULL, false, NULL},
    {"CategoricalHinge", "", "the loss", "", NULL, false, NULL},
    {"BinaryCrossentropy", "bce BCE", "the loss", "from_logits label_smoothing axis", NULL, false, NULL},
    {"CategoricalCrossentropy", "", "the loss", "from_logits label_smoothing axis", NULL, false, NULL},
    {"SparseCategoricalCrossentropy", "", "the loss", "from_logits axis", NULL, true, NULL},
};

const kpar_metric_row *kpar_metric_rows(int *n)
{
    *n = (int)(sizeof rows / sizeof rows[0]);
    return rows;
}
