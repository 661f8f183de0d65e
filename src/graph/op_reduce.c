/* reduce, map_reduce and arg_reduce. */
#include "graph/build.h"
#include "graph/op_rules.h"

kpar_scalar_op kpar_reduction_operation(kpar_reduction reduction)
{
    static const kpar_scalar_op operations[KPAR_REDUCTION_COUNT] = {
        [KPAR_REDUCE_SUM] = KPAR_SCALAR_ADD,
        [KPAR_REDUCE_MAX] = KPAR_SCALAR_MAXIMUM,
        [KPAR_REDUCE_MIN] = KPAR_SCALAR_MINIMUM,
        [KPAR_REDUCE_PRODUCT] = KPAR_SCALAR_MULTIPLY,
    };
    return operations[reduction];
}

static kpar_status reduced(const kpar_shape *whole, unsigned axes, kpar_shape *shape)
{
    if (axes >> whole->rank)
        return kpar_fail(KPAR_EINTERNAL, "axes %#x of a value of rank %d", axes, whole->rank);
    shape->rank = 0;
    for (int i = 0; i < whole->rank; i++)
        if (!(axes >> i & 1)) shape->dims[shape->rank++] = whole->dims[i];
    return KPAR_OK;
}

KPAR_SHAPE_RULE(reduce)
{
    const kpar_value *v = kpar_graph_value(g, inputs[0]);
    (void)n_inputs;
    (void)n_outputs;
    dtypes[0] = v->dtype;
    return reduced(&v->shape, a->axes, &shapes[0]);
}

KPAR_SHAPE_RULE(map_reduce)
{
    KPAR_TRY(kpar_shape_map(g, inputs, n_inputs, a, dtypes, shapes, n_outputs));
    const kpar_shape whole = shapes[0];
    for (int i = 0; i < *n_outputs; i++) KPAR_TRY(reduced(&whole, a->axes, &shapes[i]));
    return KPAR_OK;
}

/* dy with the removed dimensions back, as ones, and repeated along them. */
static kpar_status repeat(kpar_graph *g, kpar_shape whole, unsigned axes, kpar_value_id y, kpar_value_id *out)
{
    kpar_shape kept = whole;
    for (int i = 0; i < whole.rank; i++)
        if (axes >> i & 1) kept.dims[i] = (kpar_dim){1, false};
    KPAR_TRY(kpar_build_reshape(g, kept, y, out));
    return kpar_build_broadcast(g, whole, *out, out);
}

/* Of a maximum: divided equally among the elements that attain it, as Keras's ops.max does. */
static kpar_status gradient_of_extreme(kpar_graph *g, kpar_value_id x, kpar_value_id y, unsigned axes,
                                       kpar_value_id dy, kpar_value_id *dx)
{
    const kpar_shape whole = g->values[x].shape;
    kpar_value_id attains, ties;
    KPAR_TRY(repeat(g, whole, axes, y, &attains));
    KPAR_TRY(kpar_build_binary(g, KPAR_SCALAR_EQUAL, x, attains, &attains));
    KPAR_TRY(kpar_build_reduce(g, KPAR_REDUCE_SUM, axes, attains, &ties));
    KPAR_TRY(kpar_build_binary(g, KPAR_SCALAR_DIVIDE, dy, ties, &dy));
    KPAR_TRY(repeat(g, whole, axes, dy, &dy));
    return kpar_build_binary(g, KPAR_SCALAR_MULTIPLY, attains, dy, dx);
}

static int lowest(unsigned axes)
{
    int axis = 0;
    while (!(axes >> axis & 1)) axis++;
    return axis;
}

/* Of a product: the product of the other elements, which is right at zeros too. */
static kpar_status gradient_of_product(kpar_graph *g, kpar_value_id x, unsigned axes, kpar_value_id dy,
                                       kpar_value_id *dx)
{
    const int axis = lowest(axes);
    kpar_value_id before, behind;
    if (axes != 1u << axis)
        return kpar_fail(KPAR_EUNSUPPORTED, "the gradient of a product over several axes");
    KPAR_TRY(kpar_build_cumulative(g, KPAR_REDUCE_PRODUCT, axis, true, false, x, &before));
    KPAR_TRY(kpar_build_cumulative(g, KPAR_REDUCE_PRODUCT, axis, true, true, x, &behind));
    KPAR_TRY(kpar_build_binary(g, KPAR_SCALAR_MULTIPLY, before, behind, dx));
    KPAR_TRY(repeat(g, g->values[x].shape, axes, dy, &dy));
    return kpar_build_binary(g, KPAR_SCALAR_MULTIPLY, *dx, dy, dx);
}

KPAR_GRADIENT_RULE(reduce)
{
    const kpar_op op = g->ops[id];
    if (!wanted[0] || dy[0] < 0) return KPAR_OK;
    if (op.attributes.reduction == KPAR_REDUCE_PRODUCT)
        return gradient_of_product(g, op.inputs[0], op.attributes.axes, dy[0], &dx[0]);
    if (op.attributes.reduction == KPAR_REDUCE_SUM)
        return repeat(g, g->values[op.inputs[0]].shape, op.attributes.axes, dy[0], &dx[0]);
    return gradient_of_extreme(g, op.inputs[0], op.outputs[0], op.attributes.axes, dy[0], &dx[0]);
}

KPAR_FLOPS_RULE(reduce)
{
    (void)a;
    (void)n_inputs;
    (void)outputs;
    return (double)kpar_array_count(&inputs[0]);
}

/* Of an expression on the largest input, and of its sums. */
KPAR_FLOPS_RULE(map_reduce)
{
    int64_t most = 0;
    (void)outputs;
    for (int i = 0; i < n_inputs; i++)
        if (kpar_array_count(&inputs[i]) > most) most = kpar_array_count(&inputs[i]);
    return (double)most * (a->expression->n_scalars + a->expression->n_outputs);
}

KPAR_SHAPE_RULE(arg_reduce)
{
    const kpar_shape *shape = &kpar_graph_value(g, inputs[0])->shape;
    (void)n_inputs;
    (void)n_outputs;
    if (a->axis < 0 || a->axis >= shape->rank)
        return kpar_fail(KPAR_EINTERNAL, "axis %d of a value of rank %d", a->axis, shape->rank);
    shapes[0].rank = 0;
    for (int i = 0; i < shape->rank; i++)
        if (i != a->axis) shapes[0].dims[shapes[0].rank++] = shape->dims[i];
    dtypes[0] = KPAR_I32;
    return KPAR_OK;
}
