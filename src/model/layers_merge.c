/* Layers that merge several inputs, element by element or side by side. */
#include "model/einsum.h"

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

/* The inputs of a merging layer, and as further inputs of its expression the masks of those that have one, which broadcast to
 * them. */
typedef struct masked_inputs {
    kpar_value_id *values;
    int n, n_values;
    int *mask_of; /* number among the values, -1: it has none */
    bool all;     /* have one */
} masked_inputs;

static kpar_status add_masks(kpar_lowering *lowering, const kpar_value_id *inputs, int n, masked_inputs *m)
{
    kpar_value_id *real;
    KPAR_TRY(real_inputs(lowering, inputs, n, 0, &real));
    *m = (masked_inputs){
        .values = kpar_arena_alloc(lowering->arena, 2 * (size_t)n * sizeof *m->values),
        .n = n,
        .n_values = n,
        .mask_of = kpar_arena_alloc(lowering->arena, (size_t)n * sizeof *m->mask_of),
        .all = true,
    };
    for (int i = 0; i < n; i++) {
        m->values[i] = real[i];
        m->mask_of[i] = -1;
        m->all = m->all && lowering->masks[i] >= 0;
        if (lowering->masks[i] < 0) continue;
        kpar_shape shape = *kpar_lower_shape(lowering, lowering->masks[i]);
        shape.dims[shape.rank++] = (kpar_dim){1, false};
        m->mask_of[i] = m->n_values++;
        KPAR_TRY(kpar_build_reshape(lowering->graph, shape, lowering->masks[i], &m->values[m->mask_of[i]]));
    }
    return KPAR_OK;
}

/* The largest or least of the elements that count, where any does. */
static kpar_status pick_counted(kpar_lowering *lowering, kpar_scalar_op op, const kpar_value_id *inputs,
                                int n_inputs, kpar_value_id *output)
{
    masked_inputs m;
    KPAR_TRY(add_masks(lowering, inputs, n_inputs, &m));
    kpar_expression_builder *e = kpar_expression_begin(m.n_values);
    kpar_x result = kpar_x_input(e, 0);
    bool masked = m.mask_of[0] >= 0;
    kpar_x mask = masked ? kpar_x_input(e, m.mask_of[0]) : kpar_x_constant(e, 1);
    for (int i = 1; i < m.n; i++) {
        kpar_x x = kpar_x_input(e, i);
        const bool own = m.mask_of[i] >= 0;
        kpar_x counts = own ? kpar_x_input(e, m.mask_of[i]) : kpar_x_constant(e, 1);
        if (own) x = kpar_x_select(e, counts, x, result);
        if (masked) result = kpar_x_select(e, mask, result, x);
        result = kpar_x_binary(e, op, result, x);
        masked = masked && own;
        mask = kpar_x_max(e, mask, counts);
    }
    return kpar_lower_apply(lowering, e, result, m.values, m.n_values, output);
}

KPAR_LAYER(add) { return fold(lowering, KPAR_SCALAR_ADD, 0, inputs, n_inputs, 1, output); }
KPAR_LAYER(subtract) { return fold(lowering, KPAR_SCALAR_SUBTRACT, 2, inputs, n_inputs, 1, output); }
KPAR_LAYER(average) { return fold(lowering, KPAR_SCALAR_ADD, 0, inputs, n_inputs, 1.0 / n_inputs, output); }
KPAR_LAYER(maximum) { return pick_counted(lowering, KPAR_SCALAR_MAXIMUM, inputs, n_inputs, output); }
KPAR_LAYER(minimum) { return pick_counted(lowering, KPAR_SCALAR_MINIMUM, inputs, n_inputs, output); }

/* What does not count is a factor of 1; where all inputs have masks and none counts, the product is 0. */
KPAR_LAYER(multiply)
{
    masked_inputs m;
    KPAR_TRY(add_masks(lowering, inputs, n_inputs, &m));
    kpar_expression_builder *e = kpar_expression_begin(m.n_values);
    kpar_x one = kpar_x_constant(e, 1), zero = kpar_x_constant(e, 0), result = one, any = zero;
    for (int i = 0; i < m.n; i++) {
        kpar_x x = kpar_x_input(e, i);
        if (m.mask_of[i] >= 0) {
            kpar_x counts = kpar_x_input(e, m.mask_of[i]);
            x = kpar_x_select(e, counts, x, one);
            any = kpar_x_max(e, any, counts);
        }
        result = i == 0 ? x : kpar_x_mul(e, result, x);
    }
    if (m.all) result = kpar_x_select(e, any, result, zero);
    return kpar_lower_apply(lowering, e, result, m.values, m.n_values, output);
}

/* The dimension of each input that 'axes' names. */
static kpar_status read_dot_axes(kpar_lowering *lowering, const int *ranks, int *dims)
{
    const json_t *axes = json_object_get(lowering->layer->config, "axes");
    for (size_t i = 0; i < 2; i++)
        KPAR_TRY(kpar_lower_dim(lowering,
                                json_integer_value(json_is_array(axes) ? json_array_get(axes, i) : axes),
                                ranks[i], &dims[i]));
    return KPAR_OK;
}

/* Sums of products along a dimension of each input, for each sample; of the other dimensions all pairs. */
KPAR_LAYER(dot)
{
    char letters[2][KPAR_EINSUM_LETTERS] = {"", ""}, result[2 * KPAR_EINSUM_LETTERS] = "*";
    kpar_value_id real[2];
    int ranks[2], dims[2], n = 1;
    bool normalize;
    if (n_inputs != 2)
        return kpar_fail(KPAR_EFORMAT, "%s: expected two inputs, found %d", lowering->owner, n_inputs);
    for (int i = 0; i < 2; i++) {
        KPAR_TRY(kpar_lower_real(lowering, inputs[i], &real[i]));
        ranks[i] = kpar_lower_shape(lowering, real[i])->rank;
    }
    KPAR_TRY(read_dot_axes(lowering, ranks, dims));
    KPAR_TRY(kpar_config_boolean(lowering->owner, lowering->layer->config, "normalize", false, &normalize));
    for (int i = 0; i < 2; i++) {
        if (normalize) KPAR_TRY(kpar_lower_unit_length(lowering, 1u << dims[i], 1e-6, real[i], &real[i]));
        for (int k = 0; k < ranks[i]; k++) {
            letters[i][k] = (char)(k == 0 ? '*' : k == dims[i] ? '+' : (i ? 'A' : 'a') + k);
            if (k > 0 && k != dims[i]) result[n++] = letters[i][k];
        }
    }
    if (n > KPAR_MAX_RANK)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: more than %d dimensions", lowering->owner, KPAR_MAX_RANK);
    KPAR_TRY(kpar_lower_product(lowering, letters[0], real[0], letters[1], real[1], result, output));
    return n == 1 ? kpar_lower_insert(lowering, 1, *output, output) : KPAR_OK;
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
