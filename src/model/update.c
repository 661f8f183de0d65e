/* The update of one weight while it is written down: an expression over scalars of one element that reads, besides what
 * it began with, sums over the tensor's elements. What is summed is a map of its own over the same values; all the rest
 * stays one map, however many sums it needs. */
#include "model/lower_internal.h"

#include <assert.h>

void kpar_update_begin(kpar_update *u, kpar_lowering *lowering, const kpar_shape *shape)
{
    *u = (kpar_update){.lowering = lowering, .e = kpar_expression_begin(KPAR_UPDATE_INPUTS), .shape = *shape};
}

void kpar_update_end(kpar_update *u)
{
    kpar_expression_end(u->e, u->lowering->arena, NULL, 0);
    u->e = NULL;
}

kpar_x kpar_update_input(kpar_update *u, kpar_value_id value)
{
    for (int i = 0; i < u->n_inputs; i++)
        if (u->inputs[i] == value) return kpar_x_input(u->e, i);
    assert(u->n_inputs < KPAR_UPDATE_INPUTS);
    u->inputs[u->n_inputs] = value;
    return kpar_x_input(u->e, u->n_inputs++);
}

kpar_status kpar_update_values(kpar_update *u, const kpar_x *outputs, int n, kpar_value_id *values)
{
    kpar_lowering *lowering = u->lowering;
    const kpar_expression *e = kpar_expression_so_far(u->e, lowering->arena, outputs, n);
    kpar_value_id inputs[KPAR_UPDATE_INPUTS], nothing;
    /* An input that is not read must not widen the result. */
    KPAR_TRY(kpar_build_constant(lowering->graph, 0, (kpar_shape){.rank = 0}, &nothing));
    for (int i = 0; i < KPAR_UPDATE_INPUTS; i++)
        inputs[i] = i < u->n_inputs && kpar_expression_reads(e, i) ? u->inputs[i] : nothing;
    return kpar_lower_hoisted_map(lowering, e, inputs, KPAR_UPDATE_INPUTS, values);
}

kpar_status kpar_update_sum_value(kpar_update *u, kpar_x x, unsigned axes, kpar_value_id *sum)
{
    kpar_graph *g = u->lowering->graph;
    KPAR_TRY(kpar_update_values(u, &x, 1, sum));
    kpar_shape kept = *kpar_lower_shape(u->lowering, *sum);
    const unsigned present = axes & ((1u << kept.rank) - 1);
    for (int i = 0; i < kept.rank; i++)
        if (present >> i & 1) kept.dims[i].size = 1;
    if (present == (1u << kept.rank) - 1) kept.rank = 0; /* a scalar, of which more is computed only once */
    KPAR_TRY(kpar_build_reduce(g, KPAR_REDUCE_SUM, present, *sum, sum));
    return kept.rank > 0 ? kpar_build_reshape(g, kept, *sum, sum) : KPAR_OK;
}

kpar_status kpar_update_sum(kpar_update *u, kpar_x x, unsigned axes, kpar_x *sum)
{
    kpar_value_id value;
    KPAR_TRY(kpar_update_sum_value(u, x, axes, &value));
    *sum = kpar_update_input(u, value);
    return KPAR_OK;
}

double kpar_update_elements(const kpar_update *u, unsigned axes)
{
    double n = 1;
    for (int i = 0; i < u->shape.rank; i++)
        if (axes >> i & 1) n *= (double)u->shape.dims[i].size;
    return n;
}

kpar_status kpar_update_norm(kpar_update *u, kpar_x x, unsigned axes, kpar_x *norm)
{
    KPAR_TRY(kpar_update_sum(u, kpar_x_square(u->e, x), axes, norm));
    *norm = kpar_x_sqrt(u->e, *norm);
    return KPAR_OK;
}
