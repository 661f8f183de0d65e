/* pool: the maximum or the mean of each window of images (batch, ..., channels). What is padded is no cell. */
#include "graph/build.h"
#include "graph/op_rules.h"

static int64_t cells_along(const kpar_attributes *a, int dim) { return a->window[dim] ? a->window[dim] : 1; }

/* Every window has a cell of the image, so that there is a maximum and a mean. */
static kpar_status pooled(const kpar_attributes *a, const kpar_shape *x, kpar_shape *out)
{
    const int r = x->rank;
    char text[KPAR_SHAPE_TEXT];
    if (r < 3)
        return kpar_fail(KPAR_EUNSUPPORTED, "images %s: expected rank 3 or more", kpar_shape_format(text, x));
    *out = *x;
    for (int i = 1; i < r - 1; i++) {
        const int64_t cells = cells_along(a, i),
                      positions = kpar_window_positions(a, i, x->dims[i].size, cells);
        if (x->dims[i].batch || positions <= 0 || a->start[i] >= cells || a->stop[i] >= cells)
            return kpar_fail(KPAR_EUNSUPPORTED, "images %s: a window of %lld does not fit dimension %d",
                             kpar_shape_format(text, x), (long long)cells, i);
        out->dims[i].size = positions;
    }
    return KPAR_OK;
}

KPAR_SHAPE_RULE(pool)
{
    (void)n_inputs;
    (void)n_outputs;
    dtypes[0] = g->real;
    if (a->reduction == KPAR_REDUCE_MIN) return kpar_fail(KPAR_EUNSUPPORTED, "minima are not pooled");
    return pooled(a, &kpar_graph_value(g, inputs[0])->shape, &shapes[0]);
}

static kpar_status fits_result(const kpar_attributes *a, const kpar_shape *x, const kpar_shape *dy)
{
    kpar_shape result;
    char one[KPAR_SHAPE_TEXT], other[KPAR_SHAPE_TEXT];
    KPAR_TRY(pooled(a, x, &result));
    if (kpar_shape_equal(&result, dy)) return KPAR_OK;
    return kpar_fail(KPAR_EUNSUPPORTED, "images %s do not pool to %s", kpar_shape_format(one, x),
                     kpar_shape_format(other, dy));
}

KPAR_SHAPE_RULE(max_pool_gradient)
{
    const kpar_shape *x = &kpar_graph_value(g, inputs[0])->shape;
    (void)n_inputs;
    (void)n_outputs;
    dtypes[0] = g->real;
    shapes[0] = *x;
    return fits_result(a, x, &kpar_graph_value(g, inputs[1])->shape);
}

KPAR_SHAPE_RULE(mean_pool_gradient)
{
    (void)n_inputs;
    (void)n_outputs;
    dtypes[0] = g->real;
    shapes[0] = a->shape;
    return fits_result(a, &a->shape, &kpar_graph_value(g, inputs[0])->shape);
}

KPAR_GRADIENT_RULE(pool)
{
    const kpar_op op = g->ops[id];
    if (!wanted[0] || dy[0] < 0) return KPAR_OK;
    kpar_attributes attributes = op.attributes;
    if (attributes.reduction == KPAR_REDUCE_MAX)
        return kpar_graph_append(g, KPAR_OP_MAX_POOL_GRADIENT, (kpar_value_id[]){op.inputs[0], dy[0]}, 2,
                                 &attributes, &dx[0]);
    attributes.shape = g->values[op.inputs[0]].shape;
    return kpar_graph_append(g, KPAR_OP_MEAN_POOL_GRADIENT, &dy[0], 1, &attributes, &dx[0]);
}

/* An operation for each cell of each window. */
static double flops(const kpar_attributes *a, const kpar_array *result)
{
    double count = (double)kpar_array_count(result);
    for (int i = 1; i < result->rank - 1; i++) count *= (double)cells_along(a, i);
    return count;
}

KPAR_FLOPS_RULE(pool)
{
    (void)inputs;
    (void)n_inputs;
    return flops(a, &outputs[0]);
}

KPAR_FLOPS_RULE(pool_gradient)
{
    (void)outputs;
    return flops(a, &inputs[n_inputs - 1]);
}
