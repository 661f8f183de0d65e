/* Pooling of windows. Over whole images: layers_spatial.c. */
#include "model/lower_internal.h"

kpar_status kpar_lower_pooling(kpar_lowering *lowering, int dims, kpar_reduction reduction,
                               const kpar_value_id *inputs, int n_inputs, kpar_value_id *output)
{
    static const int64_t twos[] = {2, 2, 2};
    int64_t window[KPAR_MAX_RANK];
    kpar_attributes attributes;
    kpar_value_id x;
    KPAR_TRY(kpar_lower_images(lowering, dims, inputs, n_inputs, &x));
    KPAR_TRY(kpar_lower_dims(lowering, "pool_size", dims, twos, window));
    KPAR_TRY(kpar_lower_window(lowering, dims, x, window, window, &attributes));
    for (int i = 0; i < dims; i++) attributes.window[i + 1] = window[i];
    attributes.reduction = reduction;
    return kpar_build_pool(lowering->graph, &attributes, x, output);
}

KPAR_LAYER(max_pooling_1d)
{
    return kpar_lower_pooling(lowering, 1, KPAR_REDUCE_MAX, inputs, n_inputs, output);
}
KPAR_LAYER(max_pooling_2d)
{
    return kpar_lower_pooling(lowering, 2, KPAR_REDUCE_MAX, inputs, n_inputs, output);
}
KPAR_LAYER(max_pooling_3d)
{
    return kpar_lower_pooling(lowering, 3, KPAR_REDUCE_MAX, inputs, n_inputs, output);
}
KPAR_LAYER(average_pooling_1d)
{
    return kpar_lower_pooling(lowering, 1, KPAR_REDUCE_SUM, inputs, n_inputs, output);
}
KPAR_LAYER(average_pooling_2d)
{
    return kpar_lower_pooling(lowering, 2, KPAR_REDUCE_SUM, inputs, n_inputs, output);
}
KPAR_LAYER(average_pooling_3d)
{
    return kpar_lower_pooling(lowering, 3, KPAR_REDUCE_SUM, inputs, n_inputs, output);
}

/* Dimension `dim` in `n` parts that overlap where it does not divide: reduced each, side by side. */
static kpar_status reduce_parts(kpar_lowering *lowering, int dim, int64_t n, bool mean, kpar_value_id x,
                                kpar_value_id *out)
{
    const kpar_shape shape = *kpar_lower_shape(lowering, x);
    const int64_t size = shape.dims[dim].size;
    int64_t start[KPAR_MAX_RANK] = {0}, stop[KPAR_MAX_RANK];
    kpar_value_id *parts = kpar_arena_alloc(lowering->arena, (size_t)n * sizeof *parts);
    for (int i = 0; i < shape.rank; i++) stop[i] = KPAR_TO_END;
    for (int64_t i = 0; i < n; i++) {
        start[dim] = i * size / n;
        stop[dim] = ((i + 1) * size + n - 1) / n;
        KPAR_TRY(kpar_build_slice(lowering->graph, start, stop, x, &parts[i]));
        KPAR_TRY(mean ? kpar_lower_mean(lowering, 1u << dim, true, parts[i], &parts[i])
                      : kpar_lower_reduce(lowering, KPAR_REDUCE_MAX, 1u << dim, true, parts[i], &parts[i]));
    }
    return kpar_build_concat(lowering->graph, dim, parts, (int)n, out);
}

static kpar_status adaptive(kpar_lowering *lowering, bool mean, const kpar_value_id *inputs, int n_inputs,
                            kpar_value_id *output)
{
    int64_t size[KPAR_MAX_RANK];
    const int dims = kpar_lower_shape(lowering, inputs[0])->rank - 2;
    KPAR_TRY(kpar_lower_images(lowering, dims, inputs, n_inputs, output));
    KPAR_TRY(kpar_lower_dims(lowering, "output_size", dims, NULL, size));
    for (int i = 0; i < dims; i++)
        if (size[i] > kpar_lower_shape(lowering, *output)->dims[i + 1].size)
            return kpar_fail(KPAR_EUNSUPPORTED, "%s: argument 'output_size' is larger than its images",
                             lowering->owner);
    for (int i = 0; i < dims; i++) KPAR_TRY(reduce_parts(lowering, i + 1, size[i], mean, *output, output));
    return KPAR_OK;
}

KPAR_LAYER(adaptive_average_pooling) { return adaptive(lowering, true, inputs, n_inputs, output); }
KPAR_LAYER(adaptive_max_pooling) { return adaptive(lowering, false, inputs, n_inputs, output); }
