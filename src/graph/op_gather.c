/* gather picks rows of a table (v, ...) by integer indices, or of a table for each sample; scatter_add is its gradient. */
#include "graph/build.h"
#include "graph/op_rules.h"

KPAR_SHAPE_RULE(gather)
{
    const kpar_value *table = kpar_graph_value(g, inputs[0]), *indices = kpar_graph_value(g, inputs[1]);
    const int each = a->axis;
    (void)n_inputs;
    (void)n_outputs;
    if (indices->dtype != KPAR_I32 && indices->dtype != KPAR_I64)
        return kpar_fail(KPAR_EUNSUPPORTED, "indices are %s, expected int32 or int64",
                         kpar_dtype_name(indices->dtype));
    if (table->shape.rank < 1 + each || table->shape.rank + indices->shape.rank - 1 - each > KPAR_MAX_RANK)
        return kpar_fail(KPAR_EUNSUPPORTED, "ranks %d and %d are too large", table->shape.rank,
                         indices->shape.rank);
    for (int i = 0; i < each; i++)
        if (indices->shape.rank <= each || indices->shape.dims[i].size != table->shape.dims[i].size ||
            indices->shape.dims[i].batch != table->shape.dims[i].batch)
            return kpar_fail(KPAR_EUNSUPPORTED, "a table for each sample: dimension %d differs", i);
    shapes[0] = indices->shape;
    for (int i = 1 + each; i < table->shape.rank; i++)
        shapes[0].dims[shapes[0].rank++] = table->shape.dims[i];
    dtypes[0] = table->dtype;
    return KPAR_OK;
}

KPAR_GRADIENT_RULE(gather)
{
    const kpar_op op = g->ops[id];
    if (!wanted[0] || dy[0] < 0) return KPAR_OK;
    kpar_attributes attributes = {.shape = g->values[op.inputs[0]].shape, .axis = op.attributes.axis};
    return kpar_graph_append(g, KPAR_OP_SCATTER_ADD, (kpar_value_id[]){dy[0], op.inputs[1]}, 2, &attributes,
                             &dx[0]);
}

KPAR_SHAPE_RULE(scatter_add)
{
    (void)n_inputs;
    (void)n_outputs;
    shapes[0] = a->shape;
    dtypes[0] = kpar_graph_value(g, inputs[0])->dtype;
    return KPAR_OK;
}

KPAR_GRADIENT_RULE(scatter_add)
{
    const kpar_op op = g->ops[id];
    if (!wanted[0] || dy[0] < 0) return KPAR_OK;
    return kpar_graph_append(g, KPAR_OP_GATHER, (kpar_value_id[]){dy[0], op.inputs[1]}, 2,
                             &(kpar_attributes){.axis = op.attributes.axis}, &dx[0]);
}
