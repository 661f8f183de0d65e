/* cumulative: running sums and products. */
#include "graph/build.h"
#include "graph/op_rules.h"

KPAR_SHAPE_RULE(cumulative)
{
    const kpar_value *v = kpar_graph_value(g, inputs[0]);
    (void)n_inputs;
    (void)n_outputs;
    if (a->axis < 0 || a->axis >= v->shape.rank)
        return kpar_fail(KPAR_EINTERNAL, "axis %d of a value of rank %d", a->axis, v->shape.rank);
    if (v->shape.dims[a->axis].batch)
        return kpar_fail(KPAR_EUNSUPPORTED, "a running sum over the rows of the batch");
    if (a->reduction != KPAR_REDUCE_SUM && a->reduction != KPAR_REDUCE_PRODUCT)
        return kpar_fail(KPAR_EUNSUPPORTED, "running %s; there are sums and products",
                         kpar_reduction_name(a->reduction));
    shapes[0] = v->shape;
    dtypes[0] = v->dtype;
    return KPAR_OK;
}

/* An element is a term of every sum from it on; of every product from it on it is a factor, so that the derivative is the
 * product over the element. At an element 0 it is 0, as TensorFlow's is. */
KPAR_GRADIENT_RULE(cumulative)
{
    const kpar_op op = g->ops[id];
    const kpar_attributes *a = &op.attributes;
    const bool product = a->reduction == KPAR_REDUCE_PRODUCT;
    kpar_value_id sums = dy[0];
    if (!wanted[0] || dy[0] < 0) return KPAR_OK;
    if (product) KPAR_TRY(kpar_build_binary(g, KPAR_SCALAR_MULTIPLY, op.outputs[0], sums, &sums));
    KPAR_TRY(kpar_build_cumulative(g, KPAR_REDUCE_SUM, a->axis, a->exclusive, !a->reverse, sums, &dx[0]));
    if (!product) return KPAR_OK;
    kpar_expression_builder *e = kpar_expression_begin(2);
    const kpar_x x = kpar_x_input(e, 1), zero = kpar_x_constant(e, 0);
    const kpar_x quotient =
        kpar_x_select(e, kpar_x_eq(e, x, zero), zero, kpar_x_div(e, kpar_x_input(e, 0), x));
    return kpar_build_map(g, kpar_expression_end(e, g->arena, &quotient, 1),
                          (kpar_value_id[]){dx[0], op.inputs[0]}, 2, &dx[0]);
}
