/* Activations: one row each. Kinks have TensorFlow's derivatives (relu'(0) = 0, relu6'(6) = 0, elu'(0) = 1,
 * leaky_relu'(0) = slope); a branch that is not taken is kept finite, so that its derivative is too. */
#include "model/lower_internal.h"

#include <string.h>

static kpar_x is_negative(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_lt(e, x, kpar_x_constant(e, 0));
}
static kpar_x is_positive(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_lt(e, kpar_x_constant(e, 0), x);
}

static kpar_x linear(kpar_expression_builder *e, kpar_x x)
{
    (void)e;
    return x;
}

/* min(6, relu x): on the tie at 6 the constant is taken, so the derivative is 0. */
static kpar_x relu6(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_min(e, kpar_x_constant(e, 6), kpar_x_relu(e, x));
}

kpar_x kpar_x_leaky_relu(kpar_expression_builder *e, kpar_x x, double negative_slope)
{
    return kpar_x_select(e, is_positive(e, x), x, kpar_x_times(e, x, negative_slope));
}

static kpar_x leaky_relu(kpar_expression_builder *e, kpar_x x) { return kpar_x_leaky_relu(e, x, 0.2); }

kpar_x kpar_x_elu(kpar_expression_builder *e, kpar_x x, double alpha)
{
    kpar_x below = kpar_x_plus(e, kpar_x_exp(e, kpar_x_min(e, x, kpar_x_constant(e, 0))), -1);
    return kpar_x_select(e, is_negative(e, x), kpar_x_times(e, below, alpha), x);
}

static kpar_x elu(kpar_expression_builder *e, kpar_x x) { return kpar_x_elu(e, x, 1); }

/* Klambauer et al., "Self-normalizing neural networks" (2017). */
static kpar_x selu(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_times(e, kpar_x_elu(e, x, 1.6732632423543772848170429916717),
                        1.0507009873554804934193349852946);
}

kpar_x kpar_x_gelu(kpar_expression_builder *e, kpar_x x)
{
    kpar_x phi = kpar_x_plus(e, kpar_x_erf(e, kpar_x_times(e, x, 0.70710678118654752440)), 1);
    return kpar_x_mul(e, kpar_x_times(e, x, 0.5), phi);
}

kpar_x kpar_x_silu(kpar_expression_builder *e, kpar_x x) { return kpar_x_mul(e, x, kpar_x_sigmoid(e, x)); }

/* log(1 + e^x) without overflow, whose derivative is sigmoid(x) everywhere, at 0 too. */
kpar_x kpar_x_softplus(kpar_expression_builder *e, kpar_x x)
{
    kpar_x above = kpar_x_add(
        e, x, kpar_x_log1p(e, kpar_x_exp(e, kpar_x_neg(e, kpar_x_max(e, x, kpar_x_constant(e, 0))))));
    kpar_x below = kpar_x_log1p(e, kpar_x_exp(e, kpar_x_min(e, x, kpar_x_constant(e, 0))));
    return kpar_x_select(e, is_positive(e, x), above, below);
}

static kpar_x softsign(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_div(e, x, kpar_x_plus(e, kpar_x_abs(e, x), 1));
}

static kpar_x hard_sigmoid(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_div(e, relu6(e, kpar_x_plus(e, x, 3)), kpar_x_constant(e, 6));
}

static kpar_x hard_silu(kpar_expression_builder *e, kpar_x x) { return kpar_x_mul(e, x, hard_sigmoid(e, x)); }

static kpar_x hard_tanh(kpar_expression_builder *e, kpar_x x) { return kpar_x_clip(e, x, -1, 1); }

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

kpar_x kpar_x_squareplus(kpar_expression_builder *e, kpar_x x, double b)
{
    return kpar_x_times(e, kpar_x_add(e, x, kpar_x_sqrt(e, kpar_x_plus(e, kpar_x_square(e, x), b))), 0.5);
}

static kpar_x squareplus(kpar_expression_builder *e, kpar_x x) { return kpar_x_squareplus(e, x, 4); }

/* Barron, "Continuously differentiable exponential linear units" (2017). */
kpar_x kpar_x_celu(kpar_expression_builder *e, kpar_x x, double alpha)
{
    kpar_x zero = kpar_x_constant(e, 0), share = kpar_x_times(e, kpar_x_min(e, x, zero), 1 / alpha);
    kpar_x below = kpar_x_times(e, kpar_x_plus(e, kpar_x_exp(e, share), -1), alpha);
    return kpar_x_add(e, kpar_x_max(e, x, zero), below);
}

static kpar_x celu(kpar_expression_builder *e, kpar_x x) { return kpar_x_celu(e, x, 1); }

kpar_x kpar_x_hard_shrink(kpar_expression_builder *e, kpar_x x, double threshold)
{
    return kpar_x_select(e, kpar_x_lt(e, kpar_x_constant(e, threshold), kpar_x_abs(e, x)), x,
                         kpar_x_constant(e, 0));
}

static kpar_x hard_shrink(kpar_expression_builder *e, kpar_x x) { return kpar_x_hard_shrink(e, x, 0.5); }

kpar_x kpar_x_soft_shrink(kpar_expression_builder *e, kpar_x x, double threshold)
{
    kpar_x low = kpar_x_lt(e, x, kpar_x_constant(e, -threshold)),
           high = kpar_x_lt(e, kpar_x_constant(e, threshold), x);
    kpar_x below = kpar_x_select(e, low, kpar_x_plus(e, x, threshold), kpar_x_constant(e, 0));
    return kpar_x_select(e, high, kpar_x_plus(e, x, -threshold), below);
}

static kpar_x soft_shrink(kpar_expression_builder *e, kpar_x x) { return kpar_x_soft_shrink(e, x, 0.5); }

static kpar_x sparse_plus(kpar_expression_builder *e, kpar_x x)
{
    kpar_x curve = kpar_x_times(e, kpar_x_square(e, kpar_x_plus(e, x, 1)), 0.25);
    kpar_x above = kpar_x_select(e, kpar_x_lt(e, x, kpar_x_constant(e, 1)), curve, x);
    return kpar_x_select(e, kpar_x_le(e, x, kpar_x_constant(e, -1)), kpar_x_constant(e, 0), above);
}

static kpar_x sparse_sigmoid(kpar_expression_builder *e, kpar_x x)
{
    kpar_x slope = kpar_x_times(e, kpar_x_plus(e, x, 1), 0.5);
    kpar_x above = kpar_x_select(e, kpar_x_le(e, kpar_x_constant(e, 1), x), kpar_x_constant(e, 1), slope);
    return kpar_x_select(e, kpar_x_le(e, x, kpar_x_constant(e, -1)), kpar_x_constant(e, 0), above);
}

/* x - max - log(sum(exp(x - max))) along the last dimension. */
static kpar_status log_softmax(kpar_lowering *lowering, kpar_value_id x, kpar_value_id *y)
{
    kpar_value_id largest, terms, sum;
    KPAR_TRY(kpar_lower_max_last(lowering, true, x, &largest));
    KPAR_TRY(kpar_build_binary(lowering->graph, KPAR_SCALAR_SUBTRACT, x, largest, &x));
    KPAR_TRY(kpar_build_unary(lowering->graph, KPAR_SCALAR_EXP, x, &terms));
    KPAR_TRY(kpar_lower_sum_last(lowering, true, terms, &sum));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x value = kpar_x_sub(e, kpar_x_input(e, 0), kpar_x_log(e, kpar_x_input(e, 1)));
    return kpar_lower_apply(lowering, e, value, (kpar_value_id[]){x, sum}, 2, y);
}

/* exp(x) over its sum along the last dimension, whose logits losses take. */
static kpar_status softmax(kpar_lowering *lowering, kpar_value_id x, kpar_value_id *y)
{
    lowering->call_logits[lowering->call] = x;
    return kpar_build_softmax(lowering->graph, x, y);
}

static const kpar_activation_row rows[] = {
    {"linear", "x", linear, NULL},
    {"relu", "max(x, 0)", kpar_x_relu, NULL},
    {"relu6", "min(max(x, 0), 6)", relu6, NULL},
    {"leaky_relu", "x, or 0.2 x below 0", leaky_relu, NULL},
    {"elu", "x, or exp(x) - 1 below 0", elu, NULL},
    {"selu", "scaled elu that keeps mean and variance", selu, NULL},
    {"gelu", "x times the normal distribution function (by erf)", kpar_x_gelu, NULL},
    {"tanh", "hyperbolic tangent", kpar_x_tanh, NULL},
    {"sigmoid", "1 / (1 + exp(-x))", kpar_x_sigmoid, NULL},
    {"silu", "x sigmoid(x)", kpar_x_silu, NULL},
    {"swish", "the older name of silu", kpar_x_silu, NULL},
    {"softplus", "log(1 + exp(x))", kpar_x_softplus, NULL},
    {"softsign", "x / (1 + |x|)", softsign, NULL},
    {"hard_sigmoid", "relu6(x + 3) / 6", hard_sigmoid, NULL},
    {"hard_silu", "x hard_sigmoid(x)", hard_silu, NULL},
    {"hard_swish", "the older name of hard_silu", hard_silu, NULL},
    {"hard_tanh", "x between -1 and 1", hard_tanh, NULL},
    {"exponential", "exp(x)", kpar_x_exp, NULL},
    {"mish", "x tanh(softplus(x))", mish, NULL},
    {"log_sigmoid", "log(sigmoid(x))", log_sigmoid, NULL},
    {"tanh_shrink", "x - tanh(x)", tanh_shrink, NULL},
    {"squareplus", "(x + sqrt(x^2 + 4)) / 2", squareplus, NULL},
    {"celu", "max(x, 0) + exp(min(x, 0)) - 1", celu, NULL},
    {"hard_shrink", "x, 0 between -1/2 and 1/2", hard_shrink, NULL},
    {"soft_shrink", "x moved by 1/2 towards 0", soft_shrink, NULL},
    {"sparse_plus", "0, (x + 1)^2 / 4 between -1 and 1, x", sparse_plus, NULL},
    {"sparse_sigmoid", "0, (x + 1) / 2 between -1 and 1, 1", sparse_sigmoid, NULL},
    {"softmax", "exp(x) over its sum along the last dimension", NULL, softmax},
    {"log_softmax", "logarithm of softmax", NULL, log_softmax},
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

kpar_status kpar_activation_find(const kpar_lowering *lowering, const json_t *activation,
                                 const kpar_activation_row **row)
{
    const char *name = "linear";
    const json_t *config = NULL;
    if (activation && !json_is_null(activation))
        KPAR_TRY(kpar_config_object(lowering->owner, activation, &name, &config));
    *row = find(name);
    if (*row && json_object_size(config) == 0) return KPAR_OK;
    return kpar_fail(
        KPAR_EUNSUPPORTED, "%s: activation '%s' is not supported%s; supported are: %s", lowering->owner, name,
        *row ? " with arguments" : "",
        kpar_table_names(lowering->arena, rows, (int)(sizeof rows / sizeof rows[0]), sizeof rows[0]));
}

/* The layer that stands in the place of a name, such as LeakyReLU with a slope of its own; NULL: none does. */
static const kpar_layer *find_layer(const kpar_lowering *lowering, const json_t *activation)
{
    const char *class_name = json_string_value(json_object_get(activation, "class_name"));
    const kpar_layer_row *row = class_name ? kpar_layer_row_find(class_name, false) : NULL;
    if (!row || !row->is_activation) return NULL;
    const kpar_layer layer = {
        .class_name = class_name,
        .name = kpar_arena_printf(lowering->arena, "%s/activation", lowering->layer->name),
        .config = json_object_get(activation, "config"),
        .row = row,
    };
    return kpar_arena_copy(lowering->arena, &layer, sizeof layer);
}

/* What it gives is what the layer around gives, and so are its logits. */
static kpar_status apply_layer(kpar_lowering *lowering, const kpar_layer *layer, kpar_value_id x,
                               kpar_value_id *y)
{
    kpar_frame outer;
    KPAR_TRY(kpar_lower_enter(lowering, layer, &outer));
    KPAR_TRY(layer->row->lower(lowering, &x, 1, y));
    const kpar_value_id logits = lowering->call_logits[lowering->call];
    kpar_lower_leave(lowering, &outer);
    lowering->call_logits[lowering->call] = logits;
    return KPAR_OK;
}

kpar_status kpar_lower_activation(kpar_lowering *lowering, const json_t *activation, kpar_value_id x,
                                  kpar_value_id *y)
{
    const kpar_activation_row *row;
    const kpar_layer *layer = find_layer(lowering, activation);
    if (layer) return apply_layer(lowering, layer, x, y);
    KPAR_TRY(kpar_activation_find(lowering, activation, &row));
    KPAR_TRY(kpar_lower_real(lowering, x, &x));
    *y = x;
    if (row->formula == linear) return KPAR_OK;
    if (row->lower) return row->lower(lowering, x, y);
    if (row->formula == kpar_x_sigmoid) lowering->call_logits[lowering->call] = x;
    kpar_expression_builder *e = kpar_expression_begin(1);
    return kpar_lower_apply(lowering, e, row->formula(e, kpar_x_input(e, 0)), &x, 1, y);
}
