/* Metrics that are a mean over samples: a row each, with a value for each row (and further leading dimensions). */
#include "model/lower_internal.h"

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

static const kpar_metric_row rows[] = {
    {"BinaryAccuracy", "", "share of values on the right side of the threshold", "threshold", binary_accuracy,
     false},
    {"CategoricalAccuracy", "", "share of rows whose likeliest class is the label's", "",
     categorical_accuracy, false},
    {"SparseCategoricalAccuracy", "", "share of rows whose likeliest class is the label", "",
     sparse_categorical_accuracy, true},
    {"MeanSquaredError", "mse MSE", "the loss", "", NULL, false},
    {"MeanAbsoluteError", "mae MAE", "the loss", "", NULL, false},
    {"MeanAbsolutePercentageError", "mape MAPE", "the loss", "", NULL, false},
    {"MeanSquaredLogarithmicError", "msle MSLE", "the loss", "", NULL, false},
    {"Poisson", "", "the loss", "", NULL, false},
    {"KLDivergence", "kld KLD", "the loss", "", NULL, false},
    {"BinaryCrossentropy", "bce BCE", "the loss", "from_logits label_smoothing axis", NULL, false},
    {"CategoricalCrossentropy", "", "the loss", "from_logits label_smoothing axis", NULL, false},
    {"SparseCategoricalCrossentropy", "", "the loss", "from_logits axis", NULL, true},
};

const kpar_metric_row *kpar_metric_rows(int *n)
{
    *n = (int)(sizeof rows / sizeof rows[0]);
    return rows;
}
