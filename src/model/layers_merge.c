/* Layers that merge several inputs, element by element or side by side. */
#include "model/lower_internal.h"

/* Inputs as real values of one rank. `expected` 0: two or more. */
static kpar_status real_inputs(kpar_lowering *lowering, const kpar_value_id *inputs, int n_inputs,
                               int expected, kpar_value_id **real)
{
    if (expected ? n_inputs != expected : n_inputs < 2)
        return kpar_fail(KPAR_EFORMAT, "%s: expected %s inputs, found %d", lowering->owner,
                         expected ? "two" : "two or more", n_inputs);
    *real = kpar_arena_alloc(lowering->arena, (size_t)n_inputs * sizeof **real);
    for (int i = 0; i < n_inputs; i++) {
        KPAR_TRY(kpar_lower_real(lowering, inputs[i], &(*real)[i]));
        if (kpar_lower_shape(lowering, inputs[i])->rank != kpar_lower_shape(lowering, inputs[0])->rank)
            return kpar_fail(KPAR_EUNSUPPORTED,
                             "%s: its inputs have %d and %d dimensions; expected the same number",
                             lowering->owner, kpar_lower_shape(lowering, inputs[0])->rank,
                             kpar_lower_shape(lowering, inputs[i])->rank);
    }
    return KPAR_OK;
}

/* ((a op b) op c) ..., times `factor`. */
static kpar_status fold(kpar_lowering *lowering, kpar_scalar_op op, int expected, const kpar_value_id *inputs,
                        int n_inputs, double factor, kpar_value_id *output)
{
    kpar_value_id *real;
    KPAR_TRY(real_inputs(lowering, inputs, n_inputs, expected, &real));
    kpar_expression_builder *e = kpar_expression_begin(n_inputs);
    kpar_x result = kpar_x_input(e, 0);
    for (int i = 1; i < n_inputs; i++) result = kpar_x_binary(e, op, result, kpar_x_input(e, i));
    result = kpar_x_mul(e, result, kpar_x_constant(e, factor));
    return kpar_lower_apply(lowering, e, result, real, n_inputs, output);
}

KPAR_LAYER(add) { return fold(lowering, KPAR_SCALAR_ADD, 0, inputs, n_inputs, 1, output); }
KPAR_LAYER(subtract) { return fold(lowering, KPAR_SCALAR_SUBTRACT, 2, inputs, n_inputs, 1, output); }
KPAR_LAYER(multiply) { return fold(lowering, KPAR_SCALAR_MULTIPLY, 0, inputs, n_inputs, 1, output); }
KPAR_LAYER(average) { return fold(lowering, KPAR_SCALAR_ADD, 0, inputs, n_inputs, 1.0 / n_inputs, output); }
KPAR_LAYER(maximum) { return fold(lowering, KPAR_SCALAR_MAXIMUM, 0, inputs, n_inputs, 1, output); }
KPAR_LAYER(minimum) { return fold(lowering, KPAR_SCALAR_MINIMUM, 0, inputs, n_inputs, 1, output); }

/* Matrix products of samples along the dimensions that 'axes' names: (batch, m, k) and (batch, k, n), either transposed. */
KPAR_LAYER(dot)
{
    kpar_value_id *real;
    int64_t axes[2];
    const json_t *list = json_object_get(lowering->layer->config, "axes");
    KPAR_TRY(real_inputs(lowering, inputs, n_inputs, 2, &real));
    const int rank = kpar_lower_shape(lowering, real[0])->rank;
    for (int i = 0; i < 2; i++) {
        axes[i] = json_integer_value(json_is_array(list) ? json_array_get(list, (size_t)i) : list);
        if (axes[i] < 0) axes[i] += rank;
    }
    if (rank != 3 || axes[0] < 1 || axes[1] < 1 || axes[0] > 2 || axes[1] > 2)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: supported are two inputs of rank 3 and axes 1 and 2",
                         lowering->owner);
    return kpar_build_matmul(lowering->graph, real[0], axes[0] == 1, real[1], axes[1] == 2, output);
}

KPAR_LAYER(concatenate)
{
    int64_t axis;
    int dim;
    kpar_value_id *real;
    KPAR_TRY(real_inputs(lowering, inputs, n_inputs, 0, &real));
    KPAR_TRY(kpar_config_integer(lowering->owner, lowering->layer->config, "axis", -1, &axis));
    KPAR_TRY(kpar_lower_dim(lowering, axis, kpar_lower_shape(lowering, inputs[0])->rank, &dim));
    return kpar_build_concat(lowering->graph, dim, real, n_inputs, output);
}

KPAR_LAYER(custom_scale)
{
    double scale;
    kpar_value_id *real;
    KPAR_TRY(real_inputs(lowering, inputs, n_inputs, 2, &real));
    KPAR_TRY(kpar_config_number(lowering->owner, lowering->layer->config, "scale", 1, &scale));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x second = kpar_x_mul(e, kpar_x_input(e, 1), kpar_x_constant(e, scale));
    return kpar_lower_apply(lowering, e, kpar_x_add(e, kpar_x_input(e, 0), second), real, 2, output);
}
