/* Losses, a row each: the loss of each row before reduction. Those of a formula of one element are here. */
#include "model/losses.h"

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
    kpar_x size = kpar_x_max(e, kpar_x_abs(e, y), kpar_x_constant(e, KPAR_EPSILON));
    return kpar_x_mul(e, kpar_x_abs(e, kpar_x_div(e, kpar_x_sub(e, y, p), size)), kpar_x_constant(e, 100));
}

static kpar_x log_of(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_log(
        e, kpar_x_add(e, kpar_x_max(e, x, kpar_x_constant(e, KPAR_EPSILON)), kpar_x_constant(e, 1)));
}

static kpar_x squared_log_error(kpar_expression_builder *e, kpar_x y, kpar_x p)
{
    return kpar_x_square(e, kpar_x_sub(e, log_of(e, y), log_of(e, p)));
}

/* log(cosh(d)) = d + softplus(-2 d) - log(2) */
static kpar_x log_cosh(kpar_expression_builder *e, kpar_x y, kpar_x p)
{
    kpar_x d = kpar_x_sub(e, p, y);
    kpar_x tail = kpar_x_softplus(e, kpar_x_mul(e, d, kpar_x_constant(e, -2)));
    return kpar_x_sub(e, kpar_x_add(e, d, tail), kpar_x_constant(e, 0.69314718055994530942));
}

static kpar_x poisson(kpar_expression_builder *e, kpar_x y, kpar_x p)
{
    return kpar_x_sub(e, p,
                      kpar_x_mul(e, y, kpar_x_log(e, kpar_x_add(e, p, kpar_x_constant(e, KPAR_EPSILON)))));
}

KPAR_LOSS(huber)
{
    double delta;
    KPAR_TRY(kpar_config_number(owner, config, "delta", 1, &delta));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x error = kpar_x_sub(e, kpar_x_input(e, 0), kpar_x_input(e, 1)), size = kpar_x_abs(e, error);
    kpar_x near = kpar_x_mul(e, kpar_x_square(e, error), kpar_x_constant(e, 0.5));
    kpar_x far = kpar_x_sub(e, kpar_x_mul(e, size, kpar_x_constant(e, delta)),
                            kpar_x_constant(e, 0.5 * delta * delta));
    kpar_x value = kpar_x_select(e, kpar_x_le(e, size, kpar_x_constant(e, delta)), near, far);
    KPAR_TRY(kpar_lower_apply(lowering, e, value, (kpar_value_id[]){prediction, labels}, 2, values));
    return kpar_lower_mean_last(lowering, *values, values);
}

/* sum(y log(y / p)) over the last dimension, both clipped to [1e-7, 1]. */
KPAR_LOSS(kl_divergence)
{
    (void)config;
    (void)owner;
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x p = kpar_x_clip(e, kpar_x_input(e, 0), KPAR_EPSILON, 1),
           y = kpar_x_clip(e, kpar_x_input(e, 1), KPAR_EPSILON, 1);
    kpar_x value = kpar_x_mul(e, y, kpar_x_log(e, kpar_x_div(e, y, p)));
    KPAR_TRY(kpar_lower_apply(lowering, e, value, (kpar_value_id[]){prediction, labels}, 2, values));
    return kpar_lower_sum_last(lowering, false, *values, values);
}

static const kpar_loss_row rows[] = {
    {"MeanSquaredError", "mse MSE", "(y - p)^2", "", .formula = squared_error},
    {"MeanAbsoluteError", "mae MAE", "|y - p|", "", .formula = absolute_error},
    {"MeanAbsolutePercentageError", "mape MAPE", "100 |y - p| / |y|", "", .formula = percentage_error},
    {"MeanSquaredLogarithmicError", "msle MSLE", "(log(1 + y) - log(1 + p))^2", "",
     .formula = squared_log_error},
    {"Huber", "", "squared error near 0, absolute beyond delta", "delta", .lower = kpar_loss_huber,
     .means = true},
    {"LogCosh", "logcosh", "log(cosh(p - y))", "", .formula = log_cosh},
    {"Poisson", "", "p - y log(p)", "", .formula = poisson},
    {"KLDivergence", "kld KLD", "y log(y / p)", "", .lower = kpar_loss_kl_divergence},
    {"Hinge", "", "max(1 - y p, 0)", "", .lower = kpar_loss_hinge, .means = true},
    {"SquaredHinge", "", "max(1 - y p, 0)^2", "", .lower = kpar_loss_squared_hinge, .means = true},
    {"CategoricalHinge", "", "how much too near the likeliest wrong class is", "",
     .lower = kpar_loss_categorical_hinge},
    {"CosineSimilarity", "", "-1 for the same direction, 1 for the opposite", "axis",
     .lower = kpar_loss_cosine_similarity},
    {"Dice", "", "how much labels and predictions lie apart, of both", "axis", .lower = kpar_loss_dice,
     .sums = kpar_loss_dice_sums},
    {"Tversky", "", "Dice, with weights of what is missed and of what is wrong", "alpha beta axis",
     .lower = kpar_loss_tversky, .sums = kpar_loss_tversky_sums},
    {"BinaryCrossentropy", "bce BCE", "cross-entropy of yes and no", "from_logits label_smoothing axis",
     .lower = kpar_loss_binary_cross_entropy, .means = true},
    {"CategoricalCrossentropy", "", "cross-entropy with probabilities as labels",
     "from_logits label_smoothing axis", .lower = kpar_loss_categorical_cross_entropy},
    {"BinaryFocalCrossentropy", "", "cross-entropy of yes and no, less for what is nearly right",
     "from_logits label_smoothing axis gamma alpha apply_class_balancing", .lower = kpar_loss_binary_focal,
     .means = true},
    {"CategoricalFocalCrossentropy", "", "cross-entropy, less for what is nearly right",
     "from_logits label_smoothing axis gamma alpha", .lower = kpar_loss_categorical_focal},
    {"CategoricalGeneralizedCrossEntropy", "", "(1 - p^q) / q, p the probability of the label's class", "q",
     .lower = kpar_loss_generalized_cross_entropy, .sparse = true},
    {"Circle", "", "how near rows of one label are, and how far those of others",
     "gamma margin remove_diagonal", .lower = kpar_loss_circle, .sparse = true},
    {"CTC", "", "how unlikely labels are as what is left of all steps without repetitions and gaps", "",
     .lower = kpar_loss_ctc, .sparse = true},
    {"SparseCategoricalCrossentropy", "", "cross-entropy with class numbers as labels",
     "from_logits axis ignore_class", .lower = kpar_loss_sparse_categorical_cross_entropy, .sparse = true},
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

kpar_status kpar_loss_object(const char *owner, const json_t *loss, const char **class_name,
                             const json_t **config)
{
    return kpar_config_unwrapped(owner, loss, "LossFunctionWrapper", class_name, config);
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
