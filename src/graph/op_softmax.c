/* softmax and cross-entropy over the last dimension, each beside its gradient. */
#include "graph/build.h"
#include "graph/op_rules.h"

KPAR_SHAPE_RULE(softmax)
{
    const kpar_value *x = kpar_graph_value(g, inputs[0]);
    (void)n_inputs;
    (void)a;
    (void)n_outputs;
    if (x->shape.rank < 1 || x->shape.dims[x->shape.rank - 1].batch)
        return kpar_fail(KPAR_EUNSUPPORTED, "the last dimension is not a plain number");
    shapes[0] = x->shape;
    dtypes[0] = g->real;
    return KPAR_OK;
}

KPAR_GRADIENT_RULE(softmax)
{
    if (!wanted[0] || dy[0] < 0) return KPAR_OK;
    const kpar_value_id inputs[] = {g->ops[id].outputs[0], dy[0]};
    return kpar_graph_append(g, KPAR_OP_SOFTMAX_GRADIENT, inputs, 2, NULL, &dx[0]);
}

KPAR_SHAPE_RULE(softmax_gradient)
{
    (void)n_inputs;
    (void)a;
    (void)n_outputs;
    shapes[0] = kpar_graph_value(g, inputs[0])->shape;
    dtypes[0] = g->real;
    return KPAR_OK;
}

KPAR_SHAPE_RULE(cross_entropy)
{
    const kpar_shape logits = kpar_graph_value(g, inputs[0])->shape;
    const kpar_value *labels = kpar_graph_value(g, inputs[1]);
    char one[KPAR_SHAPE_TEXT], other[KPAR_SHAPE_TEXT];
    (void)n_inputs;
    (void)n_outputs;
    kpar_shape rows = logits;
    rows.rank--;
    if (logits.rank < 1 || !kpar_shape_equal(&labels->shape, a->sparse ? &rows : &logits))
        return kpar_fail(KPAR_EUNSUPPORTED, "labels have shape %s, predictions %s",
                         kpar_shape_format(one, &labels->shape), kpar_shape_format(other, &logits));
    shapes[0] = rows;
    dtypes[0] = g->real;
    return KPAR_OK;
}

KPAR_GRADIENT_RULE(cross_entropy)
{
    const kpar_op op = g->ops[id];
    if (!wanted[0] || dy[0] < 0) return KPAR_OK;
    const kpar_value_id inputs[] = {op.inputs[0], op.inputs[1], dy[0]};
    return kpar_graph_append(g, KPAR_OP_CROSS_ENTROPY_GRADIENT, inputs, 3, &op.attributes, &dx[0]);
}

KPAR_SHAPE_RULE(cross_entropy_gradient)
{
    (void)n_inputs;
    (void)a;
    (void)n_outputs;
    shapes[0] = kpar_graph_value(g, inputs[0])->shape;
    dtypes[0] = g->real;
    return KPAR_OK;
}

/* A handful of operations an element; the exponential counts as ten. */
KPAR_FLOPS_RULE(rows)
{
    (void)a;
    (void)n_inputs;
    (void)outputs;
    return 15.0 * (double)kpar_array_count(&inputs[0]);
}
