/* Ops that make values out of nothing: constant, iota, receive; and random, out of positions and a step. */
#include "graph/op_rules.h"

KPAR_SHAPE_RULE(made)
{
    (void)g;
    (void)inputs;
    (void)n_inputs;
    (void)n_outputs;
    shapes[0] = a->shape;
    dtypes[0] = a->dtype;
    return KPAR_OK;
}

KPAR_SHAPE_RULE(random)
{
    const kpar_value *positions = kpar_graph_value(g, inputs[0]), *step = kpar_graph_value(g, inputs[1]);
    (void)n_inputs;
    (void)n_outputs;
    if (a->shape.rank < 1 || !a->shape.dims[0].batch || a->shape.dims[0].size != 1)
        return kpar_fail(KPAR_EUNSUPPORTED, "random numbers have the batch as their first dimension");
    if (positions->dtype != KPAR_I64 || step->dtype != KPAR_I64)
        return kpar_fail(KPAR_EINTERNAL, "positions and step are int64");
    shapes[0] = a->shape;
    dtypes[0] = g->real;
    return KPAR_OK;
}
