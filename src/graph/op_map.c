/* map: an expression, element by element. */
#include "graph/build.h"
#include "graph/op_rules.h"

static bool is_integer(kpar_dtype dtype)
{
    return dtype != KPAR_F32 && dtype != KPAR_F64 && dtype != KPAR_F16 && dtype != KPAR_BF16;
}

/* Widens `shape` so that `other` broadcasts to it; false if the two do not fit. Aligned at the last dimension. */
static bool broadcast_into(kpar_shape *shape, const kpar_shape *other)
{
    kpar_shape result = shape->rank >= other->rank ? *shape : *other;
    const kpar_shape *narrow = shape->rank >= other->rank ? other : shape;
    for (int i = 1; i <= narrow->rank; i++) {
        kpar_dim *d = &result.dims[result.rank - i];
        kpar_dim n = narrow->dims[narrow->rank - i];
        if (n.size == d->size && n.batch == d->batch) continue;
        if (d->size == 1 && !d->batch)
            *d = n;
        else if (n.size != 1 || n.batch)
            return false;
    }
    *shape = result;
    return true;
}

KPAR_SHAPE_RULE(map)
{
    kpar_shape shape = a->shape;
    bool integers = n_inputs > 0;
    if (a->expression->n_inputs != n_inputs)
        return kpar_fail(KPAR_EINTERNAL, "expression has %d inputs, given %d", a->expression->n_inputs,
                         n_inputs);
    if (a->expression->n_outputs > KPAR_OP_OUTPUTS)
        return kpar_fail(KPAR_EINTERNAL, "expression has %d outputs, at most %d", a->expression->n_outputs,
                         KPAR_OP_OUTPUTS);
    for (int i = 0; i < n_inputs; i++) {
        const kpar_value *v = kpar_graph_value(g, inputs[i]);
        char one[KPAR_SHAPE_TEXT], other[KPAR_SHAPE_TEXT];
        integers = integers && is_integer(v->dtype);
        if (!broadcast_into(&shape, &v->shape))
            return kpar_fail(KPAR_EUNSUPPORTED, "shapes %s and %s do not broadcast",
                             kpar_shape_format(one, &shape), kpar_shape_format(other, &v->shape));
    }
    *n_outputs = a->expression->n_outputs;
    for (int i = 0; i < *n_outputs; i++) {
        dtypes[i] = integers ? kpar_graph_value(g, inputs[0])->dtype : g->real;
        shapes[i] = shape;
    }
    return KPAR_OK;
}

/* Sums `gradient`, of shape `from`, over what broadcasting `to` had repeated. */
static kpar_status unbroadcast(kpar_graph *g, kpar_shape from, kpar_shape to, kpar_value_id gradient,
                               kpar_value_id *out)
{
    unsigned axes = 0;
    int extra = from.rank - to.rank;
    for (int i = 0; i < from.rank; i++) {
        bool repeated = i < extra;
        if (!repeated) {
            kpar_dim f = from.dims[i], t = to.dims[i - extra];
            repeated = f.size != t.size || f.batch != t.batch;
        }
        if (repeated) axes |= 1u << i;
    }
    *out = gradient;
    if (axes) KPAR_TRY(kpar_build_reduce(g, KPAR_REDUCE_SUM, axes, *out, out));
    return kpar_build_reshape(g, to, *out, out);
}

KPAR_GRADIENT_RULE(map)
{
    const kpar_op op = g->ops[id];
    const kpar_shape whole = g->values[op.outputs[0]].shape;
    const int n_arguments = op.n_inputs + op.n_outputs + 1;
    kpar_value_id *arguments = kpar_arena_alloc(g->arena, (size_t)n_arguments * sizeof *arguments);
    kpar_value_id *parts = kpar_arena_alloc(g->arena, ((size_t)op.n_inputs + 1) * sizeof *parts);
    bool *reached = kpar_arena_alloc(g->arena, (size_t)op.n_inputs + 1);
    for (int i = 0; i < op.n_inputs; i++) arguments[i] = op.inputs[i];
    for (int i = 0; i < op.n_outputs; i++) arguments[op.n_inputs + i] = op.outputs[i];

    for (int output = 0; output < op.n_outputs; output++) {
        bool any = false;
        for (int i = 0; i < op.n_inputs; i++) {
            reached[i] = wanted[i] && kpar_expression_passes(op.attributes.expression, output, i);
            any |= reached[i];
        }
        if (dy[output] < 0 || !any) continue;
        arguments[n_arguments - 1] = dy[output];
        const kpar_expression *derivative =
            kpar_expression_derivative(op.attributes.expression, g->arena, output, reached);
        KPAR_TRY(kpar_build_map_many(g, derivative, arguments, n_arguments, parts));
        for (int i = 0, k = 0; i < op.n_inputs; i++) {
            if (!reached[i]) continue;
            kpar_value_id part = parts[k++];
            if (!kpar_shape_equal(&g->values[part].shape, &whole))
                KPAR_TRY(kpar_build_broadcast(g, whole, part, &part));
            KPAR_TRY(unbroadcast(g, whole, g->values[op.inputs[i]].shape, part, &part));
            if (dx[i] >= 0) KPAR_TRY(kpar_build_binary(g, KPAR_SCALAR_ADD, dx[i], part, &part));
            dx[i] = part;
        }
    }
    return KPAR_OK;
}

KPAR_FLOPS_RULE(map)
{
    (void)inputs;
    (void)n_inputs;
    return (double)kpar_array_count(&outputs[0]) * a->expression->n_scalars;
}
