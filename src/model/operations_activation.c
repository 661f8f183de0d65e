/* Operations that are activations: by the activation's formula, or one with a number. */
#include "model/operations.h"

/* The activation of the same name, with Keras's defaults. */
static KPAR_OPERATION(activation)
{
    char name[64];
    kpar_value_id x;
    (void)n_inputs;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, &x));
    kpar_snake_case(lowering->layer->class_name, name, sizeof name);
    json_t *activation = json_string(name);
    const kpar_status status = kpar_lower_activation(lowering, activation, x, output);
    json_decref(activation);
    return status;
}

/* The formula with the row's one argument. */
static KPAR_OPERATION(with_number)
{
    const kpar_layer_row *row = lowering->layer->row;
    double number;
    kpar_value_id x;
    (void)n_inputs;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, &x));
    if (!json_is_number(json_object_get(lowering->layer->config, row->arguments)))
        return kpar_fail(KPAR_EFORMAT, "%s: argument '%s': expected a number", lowering->owner,
                         row->arguments);
    KPAR_TRY(kpar_config_number(lowering->owner, lowering->layer->config, row->arguments, 0, &number));
    kpar_expression_builder *e = kpar_expression_begin(1);
    return kpar_lower_apply(lowering, e, row->with_number(e, kpar_x_input(e, 0), number), &x, 1, output);
}

/* Hendrycks and Gimpel's approximation. */
static kpar_x tanh_gelu(kpar_expression_builder *e, kpar_x x)
{
    kpar_x cube = kpar_x_mul(e, kpar_x_mul(e, kpar_x_square(e, x), x), kpar_x_constant(e, 0.044715));
    kpar_x inner = kpar_x_mul(e, kpar_x_add(e, x, cube), kpar_x_constant(e, 0.79788456080286535588));
    return kpar_x_mul(e, kpar_x_mul(e, x, kpar_x_constant(e, 0.5)),
                      kpar_x_add(e, kpar_x_tanh(e, inner), kpar_x_constant(e, 1)));
}

static KPAR_OPERATION(gelu)
{
    bool approximate;
    kpar_value_id x;
    (void)n_inputs;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, &x));
    KPAR_TRY(
        kpar_config_boolean(lowering->owner, lowering->layer->config, "approximate", true, &approximate));
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x in = kpar_x_input(e, 0);
    return kpar_lower_apply(lowering, e, approximate ? tanh_gelu(e, in) : kpar_x_gelu(e, in), &x, 1, output);
}

/* x above the threshold, else the default value. */
static KPAR_OPERATION(threshold)
{
    double bound, otherwise;
    kpar_value_id x;
    (void)n_inputs;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, &x));
    KPAR_TRY(kpar_config_number(lowering->owner, lowering->layer->config, "threshold", 0, &bound));
    KPAR_TRY(kpar_config_number(lowering->owner, lowering->layer->config, "default_value", 0, &otherwise));
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x in = kpar_x_input(e, 0), above = kpar_x_lt(e, kpar_x_constant(e, bound), in);
    return kpar_lower_apply(lowering, e, kpar_x_select(e, above, in, kpar_x_constant(e, otherwise)), &x, 1,
                            output);
}

/* One half of a dimension times the sigmoid of the other: Dauphin et al., "Language modeling with gated convolutional
 * networks" (2017). */
static KPAR_OPERATION(gated)
{
    kpar_value_id x, halves[2];
    int dim;
    (void)n_inputs;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, &x));
    const kpar_shape *shape = kpar_lower_shape(lowering, x);
    KPAR_TRY(kpar_operation_axis(lowering, "axis", -1, shape->rank, &dim));
    const int64_t size = shape->dims[dim].size;
    if (size % 2 != 0)
        return kpar_fail(KPAR_EFORMAT, "%s: argument 'axis': the dimension's size %lld is odd",
                         lowering->owner, (long long)size);
    KPAR_TRY(kpar_lower_cut(lowering, dim, 0, size / 2, x, &halves[0]));
    KPAR_TRY(kpar_lower_cut(lowering, dim, size / 2, size, x, &halves[1]));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x y = kpar_x_mul(e, kpar_x_input(e, 0), kpar_x_sigmoid(e, kpar_x_input(e, 1)));
    return kpar_lower_apply(lowering, e, y, halves, 2, output);
}

/* The dimensions that argument 'axis' names; null: that of all would mix the batch. */
static KPAR_OPERATION(softmax)
{
    unsigned axes;
    kpar_value_id x;
    (void)n_inputs;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, &x));
    KPAR_TRY(kpar_lower_axes(lowering, kpar_lower_shape(lowering, x)->rank, &axes));
    return kpar_lower_softmax(lowering, axes, x, output);
}

static KPAR_OPERATION(log_softmax)
{
    unsigned axes;
    kpar_value_id x, terms[2];
    (void)n_inputs;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, &x));
    KPAR_TRY(kpar_lower_axes(lowering, kpar_lower_shape(lowering, x)->rank, &axes));
    KPAR_TRY(kpar_lower_reduce(lowering, KPAR_REDUCE_MAX, axes, true, x, &terms[1]));
    KPAR_TRY(kpar_build_unary(lowering->graph, KPAR_SCALAR_STOP, terms[1], &terms[1]));
    KPAR_TRY(kpar_build_binary(lowering->graph, KPAR_SCALAR_SUBTRACT, x, terms[1], &terms[0]));
    KPAR_TRY(kpar_build_unary(lowering->graph, KPAR_SCALAR_EXP, terms[0], &terms[1]));
    KPAR_TRY(kpar_lower_reduce(lowering, KPAR_REDUCE_SUM, axes, true, terms[1], &terms[1]));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x y = kpar_x_sub(e, kpar_x_input(e, 0), kpar_x_log(e, kpar_x_input(e, 1)));
    return kpar_lower_apply(lowering, e, y, terms, 2, output);
}

#define NUMBER .lower = with_number, .with_number

static const kpar_layer_row rows[] = {
    {"Sigmoid", "1 / (1 + e^-x)", "", "", .lower = activation},
    {"Relu", "max(x, 0)", "", "", .lower = activation},
    {"Relu6", "max(x, 0) up to 6", "", "", .lower = activation},
    {"Silu", "x sigmoid(x)", "", "", .lower = activation},
    {"Selu", "scaled elu that keeps mean and variance", "", "", .lower = activation},
    {"Softplus", "log(1 + e^x)", "", "", .lower = activation},
    {"Softsign", "x / (1 + |x|)", "", "", .lower = activation},
    {"HardSigmoid", "relu6(x + 3) / 6", "", "", .lower = activation},
    {"HardSilu", "x hard_sigmoid(x)", "", "", .lower = activation},
    {"HardTanh", "x between -1 and 1", "", "", .lower = activation},
    {"LogSigmoid", "log(sigmoid(x))", "", "", .lower = activation},
    {"TanhShrink", "x - tanh(x)", "", "", .lower = activation},
    {"SparsePlus", "0, (x + 1)^2 / 4 between -1 and 1, x", "", "", .lower = activation},
    {"SparseSigmoid", "0, (x + 1) / 2 between -1 and 1, 1", "", "", .lower = activation},
    {"LeakyRelu", "x, or a share of it below 0", "negative_slope", "", NUMBER = kpar_x_leaky_relu},
    {"Elu", "x, or alpha (e^x - 1) below 0", "alpha", "", NUMBER = kpar_x_elu},
    {"Celu", "max(x, 0) + alpha (e^(x / alpha) - 1) below 0", "alpha", "", NUMBER = kpar_x_celu},
    {"HardShrink", "x, 0 near 0", "threshold", "", NUMBER = kpar_x_hard_shrink},
    {"SoftShrink", "x moved towards 0", "threshold", "", NUMBER = kpar_x_soft_shrink},
    {"Squareplus", "(x + sqrt(x^2 + b)) / 2", "b", "", NUMBER = kpar_x_squareplus},
    {"Threshold", "x above a threshold, else a value", "threshold default_value", "", .lower = threshold},
    {"Gelu", "x times the normal distribution", "approximate", "", .lower = gelu},
    {"Glu", "a half times the sigmoid of the other", "axis", "", .lower = gated},
    {"Softmax", "softmax over dimensions", "axis", "", .lower = softmax},
    {"LogSoftmax", "its logarithm", "axis", "", .lower = log_softmax},
};

const kpar_operation_table kpar_operations_of_activation = KPAR_OPERATION_TABLE(rows);
