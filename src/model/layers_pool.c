/* Pooling of windows. Over whole images: layers_spatial.c. */
#include "model/lower_internal.h"

static kpar_status pooling(kpar_lowering *lowering, int dims, kpar_reduction reduction,
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

KPAR_LAYER(max_pooling_1d) { return pooling(lowering, 1, KPAR_REDUCE_MAX, inputs, n_inputs, output); }
KPAR_LAYER(max_pooling_2d) { return pooling(lowering, 2, KPAR_REDUCE_MAX, inputs, n_inputs, output); }
KPAR_LAYER(max_pooling_3d) { return pooling(lowering, 3, KPAR_REDUCE_MAX, inputs, n_inputs, output); }
KPAR_LAYER(average_pooling_1d) { return pooling(lowering, 1, KPAR_REDUCE_SUM, inputs, n_inputs, output); }
KPAR_LAYER(average_pooling_2d) { return pooling(lowering, 2, KPAR_REDUCE_SUM, inputs, n_inputs, output); }
KPAR_LAYER(average_pooling_3d) { return pooling(lowering, 3, KPAR_REDUCE_SUM, inputs, n_inputs, output); }
