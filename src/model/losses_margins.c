/* Losses of margins and of angles. */
#include "model/losses.h"

/* Hinges */

/* Labels of -1 and 1. Keras takes labels of 0 and 1 for these, if all of the batch are so: a decision of the global
 * batch, and so a fact. */
static kpar_status hinge_labels(kpar_lowering *lowering, kpar_value_id labels, kpar_value_id *signs)
{
    kpar_graph *g = lowering->graph;
    kpar_value_id others;
    const int rank = kpar_lower_shape(lowering, labels)->rank;
    g->phase = KPAR_PHASE_FACTS_ROWS;
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x y = kpar_x_input(e, 0), zero = kpar_x_constant(e, 0), one = kpar_x_constant(e, 1);
    kpar_x other = kpar_x_select(e, kpar_x_eq(e, y, zero), zero, kpar_x_sub(e, one, kpar_x_eq(e, y, one)));
    KPAR_TRY(kpar_lower_apply(lowering, e, other, &labels, 1, &others));
    KPAR_TRY(kpar_build_reduce(g, KPAR_REDUCE_SUM, (1u << rank) - 1, others, &others));
    KPAR_TRY(kpar_build_accumulate(g, others, &others));
    g->phase = KPAR_PHASE_MICROBATCH;
    e = kpar_expression_begin(2);
    y = kpar_x_input(e, 0);
    kpar_x doubled = kpar_x_sub(e, kpar_x_mul(e, y, kpar_x_constant(e, 2)), kpar_x_constant(e, 1));
    kpar_x sign = kpar_x_select(e, kpar_x_eq(e, kpar_x_input(e, 1), kpar_x_constant(e, 0)), doubled, y);
    return kpar_lower_apply(lowering, e, sign, (kpar_value_id[]){labels, others}, 2, signs);
}

/* max(1 - y p, 0), or its square. */
static kpar_status hinge_of(kpar_lowering *lowering, bool squared, kpar_value_id prediction,
                            kpar_value_id labels, kpar_value_id *values)
{
    KPAR_TRY(hinge_labels(lowering, labels, &labels));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x product = kpar_x_mul(e, kpar_x_input(e, 1), kpar_x_input(e, 0));
    kpar_x value = kpar_x_max(e, kpar_x_sub(e, kpar_x_constant(e, 1), product), kpar_x_constant(e, 0));
    if (squared) value = kpar_x_square(e, value);
    KPAR_TRY(kpar_lower_apply(lowering, e, value, (kpar_value_id[]){prediction, labels}, 2, values));
    return kpar_lower_mean_last(lowering, *values, values);
}

KPAR_LOSS(hinge)
{
    (void)config;
    (void)owner;
    return hinge_of(lowering, false, prediction, labels, values);
}

KPAR_LOSS(squared_hinge)
{
    (void)config;
    (void)owner;
    return hinge_of(lowering, true, prediction, labels, values);
}

/* max(max((1 - y) p) - sum(y p) + 1, 0) */
KPAR_LOSS(categorical_hinge)
{
    (void)config;
    (void)owner;
    kpar_value_id right, wrong;
    KPAR_TRY(kpar_build_binary(lowering->graph, KPAR_SCALAR_MULTIPLY, labels, prediction, &right));
    KPAR_TRY(kpar_lower_sum_last(lowering, false, right, &right));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x value =
        kpar_x_mul(e, kpar_x_sub(e, kpar_x_constant(e, 1), kpar_x_input(e, 1)), kpar_x_input(e, 0));
    KPAR_TRY(kpar_lower_apply(lowering, e, value, (kpar_value_id[]){prediction, labels}, 2, &wrong));
    KPAR_TRY(kpar_lower_max_last(lowering, false, wrong, &wrong));
    e = kpar_expression_begin(2);
    value = kpar_x_add(e, kpar_x_sub(e, kpar_x_input(e, 0), kpar_x_input(e, 1)), kpar_x_constant(e, 1));
    value = kpar_x_max(e, value, kpar_x_constant(e, 0));
    return kpar_lower_apply(lowering, e, value, (kpar_value_id[]){wrong, right}, 2, values);
}

/* Directions */

kpar_status kpar_lower_cosine(kpar_lowering *lowering, const json_t *config, const char *owner, double sign,
                              kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    int axis;
    KPAR_TRY(kpar_axis_in(owner, config, "axis", kpar_lower_shape(lowering, prediction)->rank, &axis));
    KPAR_TRY(kpar_lower_unit_length(lowering, 1u << axis, KPAR_EPSILON, prediction, &prediction));
    KPAR_TRY(kpar_lower_unit_length(lowering, 1u << axis, KPAR_EPSILON, labels, &labels));
    KPAR_TRY(kpar_build_binary(lowering->graph, KPAR_SCALAR_MULTIPLY, prediction, labels, values));
    KPAR_TRY(kpar_lower_reduce(lowering, KPAR_REDUCE_SUM, 1u << axis, false, *values, values));
    return kpar_build_affine(lowering->graph, *values, sign, 0, values);
}

KPAR_LOSS(cosine_similarity)
{
    return kpar_lower_cosine(lowering, config, owner, -1, prediction, labels, values);
}
