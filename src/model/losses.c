/* Losses, a row each: the loss of each row before reduction. As Keras's with TensorFlow: what comes straight from a
 * softmax or a sigmoid is taken back to its logits, other probabilities are clipped to [1e-7, 1 - 1e-7]. */
#include "model/lower_internal.h"

#define EPSILON 1e-7

static kpar_x constant(kpar_expression_builder *e, double value) { return kpar_x_constant(e, value); }

static kpar_x clip(kpar_expression_builder *e, kpar_x x, double low, double high)
{
    return kpar_x_min(e, kpar_x_max(e, x, constant(e, low)), constant(e, high));
}

static kpar_x clip_probability(kpar_expression_builder *e, kpar_x p)
{
    return clip(e, p, EPSILON, 1 - EPSILON);
}

/* Regression */

static kpar_x squared_error(kpar_expression_builder *e, kpar_x y, kpar_x p)
{
    return kpar_x_square(e, kpar_x_sub(e, y, p));
}

static kpar_x absolute_error(kpar_expression_builder *e, kpar_x y, kpar_x p)
{
    return kpar_x_abs(e, kpar_x_sub(e, y, p));
}

static kpar_x percentage_error(kpar_expression_builder *e, kpar_x y, kpar_x p)
{
    kpar_x size = kpar_x_max(e, kpar_x_abs(e, y), constant(e, EPSILON));
    return kpar_x_mul(e, kpar_x_abs(e, kpar_x_div(e, kpar_x_sub(e, y, p), size)), constant(e, 100));
}

static kpar_x log_of(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_log(e, kpar_x_add(e, kpar_x_max(e, x, constant(e, EPSILON)), constant(e, 1)));
}

static kpar_x squared_log_error(kpar_expression_builder *e, kpar_x y, kpar_x p)
{
    return kpar_x_square(e, kpar_x_sub(e, log_of(e, y), log_of(e, p)));
}

/* log(cosh(d)) = d + softplus(-2 d) - log(2) */
static kpar_x log_cosh(kpar_expression_builder *e, kpar_x y, kpar_x p)
{
    kpar_x d = kpar_x_sub(e, p, y);
    kpar_x tail = kpar_x_softplus(e, kpar_x_mul(e, d, constant(e, -2)));
    return kpar_x_sub(e, kpar_x_add(e, d, tail), constant(e, 0.69314718055994530942));
}

static kpar_x poisson(kpar_expression_builder *e, kpar_x y, kpar_x p)
{
    return kpar_x_sub(e, p, kpar_x_mul(e, y, kpar_x_log(e, kpar_x_add(e, p, constant(e, EPSILON)))));
}

static kpar_status huber(kpar_lowering *lowering, const json_t *config, const char *owner,
                         kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    double delta;
    KPAR_TRY(kpar_config_number(owner, config, "delta", 1, &delta));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x error = kpar_x_sub(e, kpar_x_input(e, 0), kpar_x_input(e, 1)), size = kpar_x_abs(e, error);
    kpar_x near = kpar_x_mul(e, kpar_x_square(e, error), constant(e, 0.5));
    kpar_x far = kpar_x_sub(e, kpar_x_mul(e, size, constant(e, delta)), constant(e, 0.5 * delta * delta));
    kpar_x value = kpar_x_select(e, kpar_x_le(e, size, constant(e, delta)), near, far);
    KPAR_TRY(kpar_lower_apply(lowering, e, value, (kpar_value_id[]){prediction, labels}, 2, values));
    return kpar_lower_mean_last(lowering, *values, values);
}

/* Cross-entropies */

/* Replaces a prediction that is a softmax or a sigmoid by what that was of, and says so. Keras takes either for the
 * logits of any cross-entropy: sigmoids under a categorical one count as if they were a softmax. */
static kpar_status take_logits(kpar_lowering *lowering, kpar_value_id *prediction, bool *logits)
{
    if (lowering->logits < 0) return KPAR_OK;
    *logits = true;
    kpar_shape shape = *kpar_lower_shape(lowering, *prediction);
    return kpar_build_reshape(lowering->graph, shape, lowering->logits, prediction);
}

/* Arguments that the cross-entropies share. */
static kpar_status read_arguments(const char *owner, const json_t *config, const kpar_shape *shape,
                                  bool *logits, double *smoothing)
{
    int64_t axis;
    KPAR_TRY(kpar_config_boolean(owner, config, "from_logits", false, logits));
    KPAR_TRY(kpar_config_number(owner, config, "label_smoothing", 0, smoothing));
    KPAR_TRY(kpar_config_integer(owner, config, "axis", -1, &axis));
    if (axis == -1 || axis == shape->rank - 1) return KPAR_OK;
    return kpar_fail(KPAR_EUNSUPPORTED, "%s: argument 'axis' is %lld; only the last (-1) is supported", owner,
                     (long long)axis);
}

static kpar_status binary_cross_entropy(kpar_lowering *lowering, const json_t *config, const char *owner,
                                        kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    bool logits;
    double smoothing;
    KPAR_TRY(read_arguments(owner, config, kpar_lower_shape(lowering, prediction), &logits, &smoothing));
    KPAR_TRY(take_logits(lowering, &prediction, &logits));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x p = kpar_x_input(e, 0), y = kpar_x_input(e, 1), one = constant(e, 1), value;
    y = kpar_x_add(e, kpar_x_mul(e, y, constant(e, 1 - smoothing)), constant(e, 0.5 * smoothing));
    if (logits)
        value = kpar_x_sub(e, kpar_x_softplus(e, p), kpar_x_mul(e, p, y));
    else {
        p = clip_probability(e, p);
        kpar_x yes = kpar_x_mul(e, y, kpar_x_log(e, p));
        kpar_x no = kpar_x_mul(e, kpar_x_sub(e, one, y), kpar_x_log(e, kpar_x_sub(e, one, p)));
        value = kpar_x_neg(e, kpar_x_add(e, yes, no));
    }
    KPAR_TRY(kpar_lower_apply(lowering, e, value, (kpar_value_id[]){prediction, labels}, 2, values));
    return kpar_lower_mean_last(lowering, *values, values);
}

/* -sum(y log(clip(p / sum(p)))) over the last dimension. */
static kpar_status cross_entropy_of_probabilities(kpar_lowering *lowering, kpar_value_id p, kpar_value_id y,
                                                  kpar_value_id *values)
{
    kpar_value_id sum;
    KPAR_TRY(kpar_lower_sum_last(lowering, true, p, &sum));
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x share = clip_probability(e, kpar_x_div(e, kpar_x_input(e, 0), kpar_x_input(e, 2)));
    kpar_x value = kpar_x_neg(e, kpar_x_mul(e, kpar_x_input(e, 1), kpar_x_log(e, share)));
    KPAR_TRY(kpar_lower_apply(lowering, e, value, (kpar_value_id[]){p, y, sum}, 3, values));
    return kpar_lower_sum_last(lowering, false, *values, values);
}

static kpar_status categorical_cross_entropy(kpar_lowering *lowering, const json_t *config, const char *owner,
                                             kpar_value_id prediction, kpar_value_id labels,
                                             kpar_value_id *values)
{
    bool logits;
    double smoothing;
    const kpar_shape shape = *kpar_lower_shape(lowering, prediction);
    const double classes = (double)shape.dims[shape.rank - 1].size;
    KPAR_TRY(read_arguments(owner, config, &shape, &logits, &smoothing));
    KPAR_TRY(take_logits(lowering, &prediction, &logits));
    KPAR_TRY(kpar_build_affine(lowering->graph, labels, 1 - smoothing, smoothing / classes, &labels));
    if (logits) return kpar_build_cross_entropy(lowering->graph, prediction, labels, false, values);
    return cross_entropy_of_probabilities(lowering, prediction, labels, values);
}

static kpar_status sparse_categorical_cross_entropy(kpar_lowering *lowering, const json_t *config,
                                                    const char *owner, kpar_value_id prediction,
                                                    kpar_value_id labels, kpar_value_id *values)
{
    bool logits;
    double smoothing;
    KPAR_TRY(read_arguments(owner, config, kpar_lower_shape(lowering, prediction), &logits, &smoothing));
    KPAR_TRY(take_logits(lowering, &prediction, &logits));
    if (!logits) {
        kpar_expression_builder *e = kpar_expression_begin(1);
        kpar_x log_p = kpar_x_log(e, clip_probability(e, kpar_x_input(e, 0)));
        KPAR_TRY(kpar_lower_apply(lowering, e, log_p, &prediction, 1, &prediction));
    }
    return kpar_build_cross_entropy(lowering->graph, prediction, labels, true, values);
}

/* sum(y log(y / p)) over the last dimension, both clipped to [1e-7, 1]. */
static kpar_status kl_divergence(kpar_lowering *lowering, const json_t *config, const char *owner,
                                 kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    (void)config;
    (void)owner;
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x p = clip(e, kpar_x_input(e, 0), EPSILON, 1), y = clip(e, kpar_x_input(e, 1), EPSILON, 1);
    kpar_x value = kpar_x_mul(e, y, kpar_x_log(e, kpar_x_div(e, y, p)));
    KPAR_TRY(kpar_lower_apply(lowering, e, value, (kpar_value_id[]){prediction, labels}, 2, values));
    return kpar_lower_sum_last(lowering, false, *values, values);
}

static const kpar_loss_row rows[] = {
    {"MeanSquaredError", "mse MSE", "(y - p)^2", "", NULL, squared_error, false},
    {"MeanAbsoluteError", "mae MAE", "|y - p|", "", NULL, absolute_error, false},
    {"MeanAbsolutePercentageError", "mape MAPE", "100 |y - p| / |y|", "", NULL, percentage_error, false},
    {"MeanSquaredLogarithmicError", "msle MSLE", "(log(1 + y) - log(1 + p))^2", "", NULL, squared_log_error,
     false},
    {"Huber", "", "squared error near 0, absolute beyond delta", "delta", huber, NULL, false},
    {"LogCosh", "logcosh", "log(cosh(p - y))", "", NULL, log_cosh, false},
    {"Poisson", "", "p - y log(p)", "", NULL, poisson, false},
    {"KLDivergence", "kld KLD", "y log(y / p)", "", kl_divergence, NULL, false},
    {"BinaryCrossentropy", "bce BCE", "cross-entropy of yes and no", "from_logits label_smoothing axis",
     binary_cross_entropy, NULL, false},
    {"CategoricalCrossentropy", "", "cross-entropy with probabilities as labels",
     "from_logits label_smoothing axis", categorical_cross_entropy, NULL, false},
    {"SparseCategoricalCrossentropy", "", "cross-entropy with class numbers as labels", "from_logits axis",
     sparse_categorical_cross_entropy, NULL, true},
};

const kpar_loss_row *kpar_loss_rows(int *n)
{
    *n = (int)(sizeof rows / sizeof rows[0]);
    return rows;
}

const kpar_loss_row *kpar_loss_row_find(const char *name)
{
    return kpar_table_find(rows, (int)(sizeof rows / sizeof rows[0]), sizeof rows[0], name);
}

kpar_status kpar_loss_values(kpar_lowering *lowering, const kpar_loss_row *row, const json_t *config,
                             const char *owner, kpar_value_id prediction, kpar_value_id labels,
                             kpar_value_id *values)
{
    if (row->lower) return row->lower(lowering, config, owner, prediction, labels, values);
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x value = row->formula(e, kpar_x_input(e, 1), kpar_x_input(e, 0));
    KPAR_TRY(kpar_lower_apply(lowering, e, value, (kpar_value_id[]){prediction, labels}, 2, values));
    return kpar_lower_mean_last(lowering, *values, values);
}
