/* Masks: which time steps of a tensor count. A mask goes beside the tensor, as a real value of 0 and 1 that has its
 * leading dimensions, from the layer that makes it through those that pass it on. */
#include "model/lower_internal.h"

kpar_status kpar_lower_truth(kpar_lowering *lowering, kpar_value_id value, kpar_value_id *truth)
{
    kpar_value_id real;
    KPAR_TRY(kpar_lower_real(lowering, value, &real));
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x zero = kpar_x_constant(e, 0), one = kpar_x_constant(e, 1);
    kpar_x is_zero = kpar_x_eq(e, kpar_x_input(e, 0), zero);
    return kpar_lower_apply(lowering, e, kpar_x_select(e, is_zero, zero, one), &real, 1, truth);
}

kpar_status kpar_lower_kept_where(kpar_lowering *lowering, kpar_value_id mask, kpar_value_id x,
                                  double otherwise, kpar_value_id *out)
{
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x masked = kpar_x_eq(e, kpar_x_input(e, 1), kpar_x_constant(e, 0));
    kpar_x kept = kpar_x_select(e, masked, kpar_x_constant(e, otherwise), kpar_x_input(e, 0));
    return kpar_lower_apply(lowering, e, kept, (kpar_value_id[]){x, mask}, 2, out);
}

KPAR_MASK(first)
{
    (void)inputs;
    if (n_inputs > 0) masks[0] = lowering->masks[0];
    return KPAR_OK;
}

/* In Keras it takes the masks off the very tensors that it is called with: whoever reads them later sees none. */
KPAR_MASK(multi_head_attention)
{
    const int n_outputs = lowering->model->n_calls * KPAR_CALL_OUTPUTS;
    masks[0] = lowering->masks[0];
    for (int i = 0; i < n_inputs; i++)
        for (int k = 0; k < n_outputs; k++)
            if (lowering->call_values[k] == inputs[i]) lowering->call_masks[k] = -1;
    return KPAR_OK;
}

KPAR_MASK(either)
{
    (void)inputs;
    for (int i = 0; i < n_inputs; i++)
        if (lowering->masks[i] < 0) return KPAR_OK;
    masks[0] = lowering->masks[0];
    for (int i = 1; i < n_inputs; i++)
        KPAR_TRY(
            kpar_build_binary(lowering->graph, KPAR_SCALAR_MAXIMUM, masks[0], lowering->masks[i], &masks[0]));
    return KPAR_OK;
}

/* The mask of input number `i`, of all its dimensions but the last: ones where it has none. */
static kpar_status whole_mask(kpar_lowering *lowering, kpar_value_id input, int i, kpar_value_id *mask)
{
    kpar_shape shape = *kpar_lower_shape(lowering, input);
    shape.rank--;
    *mask = lowering->masks[i];
    if (*mask < 0) return kpar_build_constant(lowering->graph, 1, shape, mask);
    if (kpar_lower_shape(lowering, *mask)->rank == shape.rank) return KPAR_OK;
    return kpar_fail(KPAR_EUNSUPPORTED,
                     "%s: input %d of rank %d has a mask of rank %d; supported are masks of all dimensions "
                     "but the last",
                     lowering->owner, i, shape.rank + 1, kpar_lower_shape(lowering, *mask)->rank);
}

/* Along the last dimension a step counts if it does in one of the inputs. */
KPAR_MASK(concatenate)
{
    int64_t axis;
    int dim, any = 0;
    const int rank = kpar_lower_shape(lowering, inputs[0])->rank;
    kpar_value_id *whole = kpar_arena_alloc(lowering->arena, (size_t)n_inputs * sizeof *whole);
    for (int i = 0; i < n_inputs; i++) any |= lowering->masks[i] >= 0;
    if (!any) return KPAR_OK;
    KPAR_TRY(kpar_config_integer(lowering->owner, lowering->layer->config, "axis", -1, &axis));
    KPAR_TRY(kpar_lower_dim(lowering, axis, rank, &dim));
    for (int i = 0; i < n_inputs; i++) KPAR_TRY(whole_mask(lowering, inputs[i], i, &whole[i]));
    if (dim < rank - 1) return kpar_build_concat(lowering->graph, dim, whole, n_inputs, &masks[0]);
    masks[0] = whole[0];
    for (int i = 1; i < n_inputs; i++)
        KPAR_TRY(kpar_build_binary(lowering->graph, KPAR_SCALAR_MAXIMUM, masks[0], whole[i], &masks[0]));
    return KPAR_OK;
}

KPAR_MASK(embedding)
{
    bool used;
    (void)n_inputs;
    KPAR_TRY(kpar_config_boolean(lowering->owner, lowering->layer->config, "mask_zero", false, &used));
    return used ? kpar_lower_truth(lowering, inputs[0], &masks[0]) : KPAR_OK;
}

/* (batch, ..., 1): whether one of the features has another value. */
static kpar_status is_used(kpar_lowering *lowering, kpar_value_id x, kpar_value_id *used)
{
    double value;
    KPAR_TRY(kpar_config_number(lowering->owner, lowering->layer->config, "mask_value", 0, &value));
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x same = kpar_x_eq(e, kpar_x_input(e, 0), kpar_x_constant(e, (double)(float)value));
    kpar_x differs = kpar_x_select(e, same, kpar_x_constant(e, 0), kpar_x_constant(e, 1));
    KPAR_TRY(kpar_lower_apply(lowering, e, differs, &x, 1, used));
    return kpar_lower_max_last(lowering, true, *used, used);
}

KPAR_LAYER(masking)
{
    kpar_value_id x, used;
    (void)n_inputs;
    KPAR_TRY(kpar_lower_real(lowering, inputs[0], &x));
    if (kpar_lower_shape(lowering, x)->rank < 2)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: expected an input of rank 2 or more", lowering->owner);
    KPAR_TRY(is_used(lowering, x, &used));
    return kpar_lower_kept_where(lowering, used, x, 0, output);
}

KPAR_MASK(masking)
{
    kpar_value_id x, used;
    (void)n_inputs;
    KPAR_TRY(kpar_lower_real(lowering, inputs[0], &x));
    KPAR_TRY(is_used(lowering, x, &used));
    kpar_shape shape = *kpar_lower_shape(lowering, used);
    shape.rank--;
    return kpar_build_reshape(lowering->graph, shape, used, &masks[0]);
}

kpar_status kpar_lower_masked(kpar_lowering *lowering, int output, kpar_value_id mask, bool fact,
                              kpar_value_id *weights)
{
    if (mask < 0) return KPAR_OK;
    if (fact && kpar_build_again(lowering->graph, mask, &mask) != KPAR_OK)
        return kpar_fail_in(KPAR_EUNSUPPORTED, "%s: output '%s': the mask of what is predicted",
                            lowering->model->file, lowering->model->outputs[output].name);
    return kpar_lower_weighted(lowering, mask, *weights, -1, weights);
}
