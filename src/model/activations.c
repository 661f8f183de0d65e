/* Activations: one row each. Kinks have TensorFlow's derivatives (relu'(0) = 0, relu6'(6) = 0, elu'(0) = 1,
 * leaky_relu'(0) = slope); a branch that is not taken is kept finite, so that its derivative is too. */
#include "model/lower_internal.h"

#include <string.h>

static kpar_x constant(kpar_expression_builder *e, double value) { return kpar_x_constant(e, value); }
static kpar_x times(kpar_expression_builder *e, kpar_x x, double factor)
{
    return kpar_x_mul(e, x, constant(e, factor));
}
static kpar_x plus(kpar_expression_builder *e, kpar_x x, double term)
{
    return kpar_x_add(e, x, constant(e, term));
}

static kpar_x is_negative(kpar_expression_builder *e, kpar_x x) { return kpar_x_lt(e, x, constant(e, 0)); }
static kpar_x is_positive(kpar_expression_builder *e, kpar_x x) { return kpar_x_lt(e, constant(e, 0), x); }

static kpar_x linear(kpar_expression_builder *e, kpar_x x)
{
    (void)e;
    return x;
}

/* min(6, relu x): on the tie at 6 the constant is taken, so the derivative is 0. */
static kpar_x relu6(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_min(e, constant(e, 6), kpar_x_relu(e, x));
}

kpar_x kpar_x_leaky_relu(kpar_expression_builder *e, kpar_x x, double negative_slope)
{
    return kpar_x_select(e, is_positive(e, x), x, times(e, x, negative_slope));
}

static kpar_x leaky_relu(kpar_expression_builder *e, kpar_x x) { return kpar_x_leaky_relu(e, x, 0.2); }

kpar_x kpar_x_elu(kpar_expression_builder *e, kpar_x x, double alpha)
{
    kpar_x below = plus(e, kpar_x_exp(e, kpar_x_min(e, x, constant(e, 0))), -1);
    return kpar_x_select(e, is_negative(e, x), times(e, below, alpha), x);
}

static kpar_x elu(kpar_expression_builder *e, kpar_x x) { return kpar_x_elu(e, x, 1); }

/* Klambauer et al., "Self-normalizing neural networks" (2017). */
static kpar_x selu(kpar_expression_builder *e, kpar_x x)
{
    return times(e, kpar_x_elu(e, x, 1.6732632423543772848170429916717), 1.0507009873554804934193349852946);
}

static kpar_x gelu(kpar_expression_builder *e, kpar_x x)
{
    kpar_x phi = plus(e, kpar_x_erf(e, times(e, x, 0.70710678118654752440)), 1);
    return kpar_x_mul(e, times(e, x, 0.5), phi);
}

static kpar_x silu(kpar_expression_builder *e, kpar_x x) { return kpar_x_mul(e, x, kpar_x_sigmoid(e, x)); }

/* log(1 + e^x) without overflow, whose derivative is sigmoid(x) everywhere, at 0 too. */
kpar_x kpar_x_softplus(kpar_expression_builder *e, kpar_x x)
{
    kpar_x above =
        kpar_x_add(e, x, kpar_x_log1p(e, kpar_x_exp(e, kpar_x_neg(e, kpar_x_max(e, x, constant(e, 0))))));
    kpar_x below = kpar_x_log1p(e, kpar_x_exp(e, kpar_x_min(e, x, constant(e, 0))));
    return kpar_x_select(e, is_positive(e, x), above, below);
}

static kpar_x softsign(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_div(e, x, plus(e, kpar_x_abs(e, x), 1));
}

static kpar_x hard_sigmoid(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_div(e, relu6(e, plus(e, x, 3)), constant(e, 6));
}

static kpar_x hard_silu(kpar_expression_builder *e, kpar_x x) { return kpar_x_mul(e, x, hard_sigmoid(e, x)); }

static kpar_x hard_tanh(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_min(e, kpar_x_max(e, x, constant(e, -1)), constant(e, 1));
}

/* Misra, "Mish" (2019). */
static kpar_x mish(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_mul(e, x, kpar_x_tanh(e, kpar_x_softplus(e, x)));
}

static kpar_x log_sigmoid(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_neg(e, kpar_x_softplus(e, kpar_x_neg(e, x)));
}

static kpar_x tanh_shrink(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_sub(e, x, kpar_x_tanh(e, x));
}

static kpar_x squareplus(kpar_expression_builder *e, kpar_x x)
{
    return times(e, kpar_x_add(e, x, kpar_x_sqrt(e, plus(e, kpar_x_square(e, x), 4))), 0.5);
}

static const kpar_activation_row rows[] = {
    {"linear", "x", linear},
    {"relu", "max(x, 0)", kpar_x_relu},
    {"relu6", "min(max(x, 0), 6)", relu6},
    {"leaky_relu", "x, or 0.2 x below 0", leaky_relu},
    {"elu", "x, or exp(x) - 1 below 0", elu},
    {"selu", "scaled elu that keeps mean and variance", selu},
    {"gelu", "x times the normal distribution function (by erf)", gelu},
    {"tanh", "hyperbolic tangent", kpar_x_tanh},
    {"sigmoid", "1 / (1 + exp(-x))", kpar_x_sigmoid},
    {"silu", "x sigmoid(x)", silu},
    {"swish", "the older name of silu", silu},
    {"softplus", "log(1 + exp(x))", kpar_x_softplus},
    {"softsign", "x / (1 + |x|)", softsign},
    {"hard_sigmoid", "relu6(x + 3) / 6", hard_sigmoid},
    {"hard_silu", "x hard_sigmoid(x)", hard_silu},
    {"hard_swish", "the older name of hard_silu", hard_silu},
    {"hard_tanh", "x between -1 and 1", hard_tanh},
    {"exponential", "exp(x)", kpar_x_exp},
    {"mish", "x tanh(softplus(x))", mish},
    {"log_sigmoid", "log(sigmoid(x))", log_sigmoid},
    {"tanh_shrink", "x - tanh(x)", tanh_shrink},
    {"squareplus", "(x + sqrt(x^2 + 4)) / 2", squareplus},
    {"softmax", "exp(x) over its sum along the last dimension", NULL},
};

const kpar_activation_row *kpar_activation_rows(int *n)
{
    *n = (int)(sizeof rows / sizeof rows[0]);
    return rows;
}

static const kpar_activation_row *find(const char *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].name, name) == 0) return &rows[i];
    return NULL;
}

kpar_status kpar_lower_activation(kpar_lowering *lowering, const json_t *activation, kpar_value_id x,
                                  kpar_value_id *y)
{
    const char *name = "linear";
    const json_t *config = NULL;
    if (activation && !json_is_null(activation))
        KPAR_TRY(kpar_config_object(lowering->owner, activation, &name, &config));
    const kpar_activation_row *row = find(name);
    if (!row || json_object_size(config) > 0)
        return kpar_fail(
            KPAR_EUNSUPPORTED, "%s: activation '%s' is not supported%s; supported are: %s", lowering->owner,
            name, row ? " with arguments" : "",
            kpar_table_names(lowering->arena, rows, (int)(sizeof rows / sizeof rows[0]), sizeof rows[0]));

    KPAR_TRY(kpar_lower_real(lowering, x, &x));
    *y = x;
    if (row->formula == linear) return KPAR_OK;
    if (!row->formula || row->formula == kpar_x_sigmoid) lowering->call_logits[lowering->call] = x;
    if (!row->formula) return kpar_build_softmax(lowering->graph, x, y);
    kpar_expression_builder *e = kpar_expression_begin(1);
    return kpar_lower_apply(lowering, e, row->formula(e, kpar_x_input(e, 0)), &x, 1, y);
}
