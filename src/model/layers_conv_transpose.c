/* Transposed convolutions: what a convolution of the larger images would send back to them. */
#include "model/lower_internal.h"

#include <string.h>

/* The larger size of a dimension, and the padding of the convolution back from it. `extra` is the argument
 * output_padding; -1: none, the size is the stride times the given one, or what a longer window needs. */
static void enlarge(int64_t size, int64_t cells, int64_t stride, int64_t extra, bool same, int64_t *large,
                    int64_t *before, int64_t *after)
{
    const int64_t reach = (size - 1) * stride, full = reach + cells;
    if (extra < 0)
        *large = !same ? reach + (cells > stride ? cells : stride) : size * stride;
    else
        *large = extra + (same ? reach + cells % 2 : full);
    const int64_t padding = full > *large ? full - *large : 0;
    *before = padding / 2;
    *after = padding - padding / 2;
}

static kpar_status read_extra(const kpar_lowering *lowering, int dims, const int64_t *stride, int64_t *extra)
{
    const json_t *value = json_object_get(lowering->layer->config, "output_padding");
    const bool list = json_is_array(value), absent = !value || json_is_null(value);
    for (int i = 0; i < dims; i++) {
        const json_t *item = list ? json_array_get(value, (size_t)i) : value;
        extra[i] = absent ? -1 : json_integer_value(item);
        if (absent) continue;
        if (!json_is_integer(item) || (list && json_array_size(value) != (size_t)dims) || extra[i] < 0 ||
            extra[i] >= stride[i])
            return kpar_fail(KPAR_EFORMAT,
                             "%s: argument 'output_padding': expected a whole number from 0 and below the "
                             "stride, or a list of %d",
                             lowering->owner, dims);
    }
    return KPAR_OK;
}

/* Stride, dilation, padding, and the shape of the larger images with `filters` channels. */
static kpar_status large_images(kpar_lowering *lowering, int dims, kpar_value_id x, const int64_t *window,
                                int64_t filters, kpar_attributes *a)
{
    static const int64_t ones[] = {1, 1, 1};
    const char *padding;
    int64_t extra[KPAR_MAX_RANK];
    *a = (kpar_attributes){.shape = *kpar_lower_shape(lowering, x)};
    KPAR_TRY(kpar_lower_dims(lowering, "strides", dims, ones, &a->stride[1]));
    KPAR_TRY(kpar_lower_dims(lowering, "dilation_rate", dims, ones, &a->dilation[1]));
    KPAR_TRY(read_extra(lowering, dims, &a->stride[1], extra));
    KPAR_TRY(kpar_config_string(lowering->owner, lowering->layer->config, "padding", "valid", &padding));
    if (strcmp(padding, "same") != 0 && strcmp(padding, "valid") != 0)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: argument 'padding' is \"%s\"; supported: same, valid",
                         lowering->owner, padding);
    for (int i = 1; i <= dims; i++)
        enlarge(a->shape.dims[i].size, (window[i - 1] - 1) * a->dilation[i] + 1, a->stride[i], extra[i - 1],
                strcmp(padding, "same") == 0, &a->shape.dims[i].size, &a->start[i], &a->stop[i]);
    a->shape.dims[dims + 1].size = filters;
    return KPAR_OK;
}

/* The kernel is (window..., filters, channels given). */
static kpar_status transposed(kpar_lowering *lowering, int dims, const kpar_value_id *inputs, int n_inputs,
                              kpar_value_id *output)
{
    int64_t window[KPAR_MAX_RANK], filters;
    kpar_attributes attributes;
    kpar_value_id x, kernel;
    KPAR_TRY(kpar_lower_images(lowering, dims, inputs, n_inputs, &x));
    KPAR_TRY(kpar_lower_dims(lowering, "kernel_size", dims, NULL, window));
    KPAR_TRY(kpar_lower_positive(lowering, "filters", 0, &filters));
    KPAR_TRY(large_images(lowering, dims, x, window, filters, &attributes));
    const int64_t given = kpar_lower_shape(lowering, x)->dims[dims + 1].size;
    KPAR_TRY(
        kpar_lower_kernel(lowering, "kernel", "kernel_initializer", dims, window, filters, given, &kernel));
    KPAR_TRY(kpar_build_conv_input_gradient(lowering->graph, &attributes, x, kernel, &x));
    return kpar_lower_biased(lowering, x, output);
}

KPAR_LAYER(conv_1d_transpose) { return transposed(lowering, 1, inputs, n_inputs, output); }
KPAR_LAYER(conv_2d_transpose) { return transposed(lowering, 2, inputs, n_inputs, output); }
KPAR_LAYER(conv_3d_transpose) { return transposed(lowering, 3, inputs, n_inputs, output); }
