/* Ops that move elements: transpose, reshape, slice, pad, concat. */
#include "graph/build.h"
#include "graph/op_rules.h"

KPAR_SHAPE_RULE(transpose)
{
    const kpar_value *v = kpar_graph_value(g, inputs[0]);
    (void)n_inputs;
    (void)n_outputs;
    unsigned seen = 0;
    shapes[0].rank = v->shape.rank;
    for (int i = 0; i < v->shape.rank; i++) {
        int from = a->permutation[i];
        if (from < 0 || from >= v->shape.rank || seen >> from & 1)
            return kpar_fail(KPAR_EINTERNAL, "not a permutation");
        seen |= 1u << from;
        shapes[0].dims[i] = v->shape.dims[from];
    }
    dtypes[0] = v->dtype;
    return KPAR_OK;
}

KPAR_GRADIENT_RULE(transpose)
{
    const kpar_op op = g->ops[id];
    int inverse[KPAR_MAX_RANK] = {0};
    if (!wanted[0] || dy[0] < 0) return KPAR_OK;
    for (int i = 0; i < g->values[op.inputs[0]].shape.rank; i++) inverse[op.attributes.permutation[i]] = i;
    return kpar_build_transpose(g, inverse, dy[0], &dx[0]);
}

static int64_t elements(const kpar_shape *shape, int *batches)
{
    int64_t count = 1;
    *batches = 0;
    for (int i = 0; i < shape->rank; i++) {
        count *= shape->dims[i].size;
        *batches += shape->dims[i].batch;
    }
    return count;
}

KPAR_SHAPE_RULE(reshape)
{
    const kpar_value *v = kpar_graph_value(g, inputs[0]);
    char one[KPAR_SHAPE_TEXT], other[KPAR_SHAPE_TEXT];
    int from, to;
    (void)n_inputs;
    (void)n_outputs;
    if (elements(&v->shape, &from) != elements(&a->shape, &to) || from != to)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s has not as many elements as %s",
                         kpar_shape_format(one, &v->shape), kpar_shape_format(other, &a->shape));
    shapes[0] = a->shape;
    dtypes[0] = v->dtype;
    return KPAR_OK;
}

KPAR_GRADIENT_RULE(reshape)
{
    if (!wanted[0] || dy[0] < 0) return KPAR_OK;
    return kpar_build_reshape(g, g->values[g->ops[id].inputs[0]].shape, dy[0], &dx[0]);
}

KPAR_SHAPE_RULE(slice)
{
    const kpar_value *v = kpar_graph_value(g, inputs[0]);
    (void)n_inputs;
    (void)n_outputs;
    shapes[0] = v->shape;
    dtypes[0] = v->dtype;
    for (int i = 0; i < v->shape.rank; i++) {
        kpar_dim d = v->shape.dims[i];
        if (a->start[i] == 0 && (a->stop[i] == KPAR_TO_END || (!d.batch && a->stop[i] == d.size))) continue;
        if (d.batch) return kpar_fail(KPAR_EUNSUPPORTED, "a part of the batch cannot be taken");
        int64_t stop = a->stop[i] == KPAR_TO_END ? d.size : a->stop[i];
        if (a->start[i] < 0 || stop < a->start[i] || stop > d.size)
            return kpar_fail(KPAR_EUNSUPPORTED, "elements %lld to %lld of a dimension of %lld",
                             (long long)a->start[i], (long long)stop, (long long)d.size);
        shapes[0].dims[i].size = stop - a->start[i];
    }
    return KPAR_OK;
}

KPAR_GRADIENT_RULE(slice)
{
    const kpar_op op = g->ops[id];
    const kpar_shape shape = g->values[op.inputs[0]].shape;
    int64_t after[KPAR_MAX_RANK] = {0};
    if (!wanted[0] || dy[0] < 0) return KPAR_OK;
    for (int i = 0; i < shape.rank; i++)
        if (op.attributes.stop[i] != KPAR_TO_END) after[i] = shape.dims[i].size - op.attributes.stop[i];
    return kpar_build_pad(g, op.attributes.start, after, dy[0], &dx[0]);
}

KPAR_SHAPE_RULE(pad)
{
    const kpar_value *v = kpar_graph_value(g, inputs[0]);
    (void)n_inputs;
    (void)n_outputs;
    shapes[0] = v->shape;
    dtypes[0] = v->dtype;
    for (int i = 0; i < v->shape.rank; i++) {
        int64_t more = a->start[i] + a->stop[i];
        if (more && v->shape.dims[i].batch) return kpar_fail(KPAR_EUNSUPPORTED, "the batch cannot be padded");
        shapes[0].dims[i].size += more;
    }
    return KPAR_OK;
}

KPAR_GRADIENT_RULE(pad)
{
    const kpar_op op = g->ops[id];
    const kpar_shape shape = g->values[op.inputs[0]].shape;
    int64_t stop[KPAR_MAX_RANK];
    if (!wanted[0] || dy[0] < 0) return KPAR_OK;
    for (int i = 0; i < shape.rank; i++)
        stop[i] = shape.dims[i].batch ? KPAR_TO_END : op.attributes.start[i] + shape.dims[i].size;
    return kpar_build_slice(g, op.attributes.start, stop, dy[0], &dx[0]);
}

KPAR_SHAPE_RULE(concat)
{
    const kpar_value *first = kpar_graph_value(g, inputs[0]);
    (void)n_outputs;
    if (a->axis < 0 || a->axis >= first->shape.rank || first->shape.dims[a->axis].batch)
        return kpar_fail(KPAR_EUNSUPPORTED, "axis %d of a value of rank %d", a->axis, first->shape.rank);
    shapes[0] = first->shape;
    dtypes[0] = first->dtype;
    for (int i = 1; i < n_inputs; i++) {
        const kpar_value *v = kpar_graph_value(g, inputs[i]);
        kpar_shape expected = first->shape;
        char one[KPAR_SHAPE_TEXT], other[KPAR_SHAPE_TEXT];
        expected.dims[a->axis] = v->shape.rank == expected.rank ? v->shape.dims[a->axis] : (kpar_dim){0};
        if (v->dtype != first->dtype || !kpar_shape_equal(&v->shape, &expected))
            return kpar_fail(KPAR_EUNSUPPORTED, "shapes %s and %s differ in more than axis %d",
                             kpar_shape_format(one, &first->shape), kpar_shape_format(other, &v->shape),
                             a->axis);
        shapes[0].dims[a->axis].size += v->shape.dims[a->axis].size;
    }
    return KPAR_OK;
}

KPAR_GRADIENT_RULE(concat)
{
    const kpar_op op = g->ops[id];
    const int axis = op.attributes.axis;
    int64_t start[KPAR_MAX_RANK] = {0}, stop[KPAR_MAX_RANK];
    if (dy[0] < 0) return KPAR_OK;
    for (int i = 0; i < KPAR_MAX_RANK; i++) stop[i] = KPAR_TO_END;
    for (int i = 0; i < op.n_inputs; i++) {
        stop[axis] = start[axis] + g->values[op.inputs[i]].shape.dims[axis].size;
        if (wanted[i]) KPAR_TRY(kpar_build_slice(g, start, stop, dy[0], &dx[i]));
        start[axis] = stop[axis];
    }
    return KPAR_OK;
}
