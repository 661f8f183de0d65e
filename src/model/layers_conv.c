/* Convolutions: plain, depthwise and separable, over one to three dimensions. */
#include "model/lower_internal.h"

#include <string.h>

kpar_status kpar_lower_dims(const kpar_lowering *lowering, const char *key, int n, const int64_t *fallback,
                            int64_t *dims)
{
    const json_t *value = json_object_get(lowering->layer->config, key);
    const bool list = json_is_array(value), absent = !value || json_is_null(value);
    if (absent && fallback) {
        memcpy(dims, fallback, (size_t)n * sizeof *dims);
        return KPAR_OK;
    }
    for (int i = 0; i < n; i++) {
        const json_t *item = list ? json_array_get(value, (size_t)i) : value;
        dims[i] = json_integer_value(item);
        if (!json_is_integer(item) || dims[i] < 1 || (list && json_array_size(value) != (size_t)n))
            return kpar_fail(KPAR_EFORMAT,
                             "%s: argument '%s': expected a positive whole number, or a list of %d",
                             lowering->owner, key, n);
    }
    return KPAR_OK;
}

kpar_status kpar_lower_images(kpar_lowering *lowering, int dims, const kpar_value_id *inputs, int n_inputs,
                              kpar_value_id *images)
{
    KPAR_TRY(kpar_lower_real(lowering, inputs[0], images));
    const int rank = kpar_lower_shape(lowering, *images)->rank;
    if (n_inputs == 1 && rank == dims + 2) return KPAR_OK;
    return kpar_fail(KPAR_EUNSUPPORTED, "%s: expected one input of rank %d, found %d of rank %d",
                     lowering->owner, dims + 2, n_inputs, rank);
}

/* Padding before and after a dimension of `size` elements. */
static kpar_status pad_window(const kpar_lowering *lowering, const char *padding, int64_t size, int64_t cells,
                              int64_t stride, int64_t *before, int64_t *after)
{
    const int64_t steps = (size + stride - 1) / stride, total = (steps - 1) * stride + cells - size;
    *before = *after = 0;
    if (strcmp(padding, "causal") == 0)
        *before = cells - 1;
    else if (strcmp(padding, "same") == 0 && total > 0) {
        *before = total / 2;
        *after = total - total / 2;
    } else if (strcmp(padding, "same") != 0 && strcmp(padding, "valid") != 0)
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: argument 'padding' is \"%s\"; supported: same, valid, causal", lowering->owner,
                         padding);
    return KPAR_OK;
}

kpar_status kpar_lower_window(kpar_lowering *lowering, int dims, kpar_value_id images, const int64_t *window,
                              const int64_t *default_stride, kpar_attributes *attributes)
{
    static const int64_t ones[] = {1, 1, 1};
    const kpar_shape *x = kpar_lower_shape(lowering, images);
    const char *padding;
    *attributes = (kpar_attributes){0};
    KPAR_TRY(kpar_lower_dims(lowering, "strides", dims, default_stride, &attributes->stride[1]));
    KPAR_TRY(kpar_lower_dims(lowering, "dilation_rate", dims, ones, &attributes->dilation[1]));
    KPAR_TRY(kpar_config_string(lowering->owner, lowering->layer->config, "padding", "valid", &padding));
    for (int i = 1; i <= dims; i++)
        KPAR_TRY(pad_window(lowering, padding, x->dims[i].size,
                            (window[i - 1] - 1) * attributes->dilation[i] + 1, attributes->stride[i],
                            &attributes->start[i], &attributes->stop[i]));
    return KPAR_OK;
}

kpar_status kpar_lower_kernel(kpar_lowering *lowering, const char *name, const char *initializer, int dims,
                              const int64_t *window, int64_t in, int64_t out, kpar_value_id *kernel)
{
    kpar_weight weight = {
        .name = name, .initializer = initializer, .by_default = "GlorotUniform", .rank = dims + 2};
    for (int i = 0; i < dims; i++) weight.dims[i] = window[i];
    weight.dims[dims] = in;
    weight.dims[dims + 1] = out;
    return kpar_lower_weight(lowering, &weight, kernel);
}

kpar_status kpar_lower_biased(kpar_lowering *lowering, kpar_value_id x, kpar_value_id *output)
{
    const json_t *config = lowering->layer->config;
    const kpar_shape *shape = kpar_lower_shape(lowering, x);
    const kpar_weight weight = {.name = "bias",
                                .initializer = "bias_initializer",
                                .by_default = "Zeros",
                                .rank = 1,
                                .dims = {shape->dims[shape->rank - 1].size}};
    bool use_bias;
    KPAR_TRY(kpar_config_boolean(lowering->owner, config, "use_bias", true, &use_bias));
    if (use_bias) {
        kpar_value_id bias;
        KPAR_TRY(kpar_lower_weight(lowering, &weight, &bias));
        KPAR_TRY(kpar_build_binary(lowering->graph, KPAR_SCALAR_ADD, x, bias, &x));
    }
    return kpar_lower_activation(lowering, json_object_get(config, "activation"), x, output);
}

kpar_status kpar_lower_positive(const kpar_lowering *lowering, const char *key, int64_t fallback,
                                int64_t *number)
{
    KPAR_TRY(kpar_config_integer(lowering->owner, lowering->layer->config, key, fallback, number));
    if (*number > 0) return KPAR_OK;
    return kpar_fail(KPAR_EFORMAT, "%s: argument '%s': expected a positive number, found %lld",
                     lowering->owner, key, (long long)*number);
}

static kpar_status convolution(kpar_lowering *lowering, int dims, const kpar_value_id *inputs, int n_inputs,
                               kpar_value_id *output)
{
    static const int64_t ones[] = {1, 1, 1};
    int64_t window[KPAR_MAX_RANK], filters, groups;
    kpar_attributes attributes;
    kpar_value_id x, kernel;
    KPAR_TRY(kpar_lower_images(lowering, dims, inputs, n_inputs, &x));
    KPAR_TRY(kpar_lower_dims(lowering, "kernel_size", dims, NULL, window));
    KPAR_TRY(kpar_lower_window(lowering, dims, x, window, ones, &attributes));
    KPAR_TRY(kpar_lower_positive(lowering, "filters", 0, &filters));
    KPAR_TRY(kpar_lower_positive(lowering, "groups", 1, &groups));
    const int64_t in = kpar_lower_shape(lowering, x)->dims[dims + 1].size;
    if (in % groups != 0 || filters % groups != 0)
        return kpar_fail(KPAR_EFORMAT,
                         "%s: argument 'groups': %lld does not divide %lld channels and %lld filters",
                         lowering->owner, (long long)groups, (long long)in, (long long)filters);
    KPAR_TRY(kpar_lower_kernel(lowering, "kernel", "kernel_initializer", dims, window, in / groups, filters,
                               &kernel));
    KPAR_TRY(kpar_build_conv(lowering->graph, &attributes, x, kernel, &x));
    return kpar_lower_biased(lowering, x, output);
}

KPAR_LAYER(conv_1d) { return convolution(lowering, 1, inputs, n_inputs, output); }
KPAR_LAYER(conv_2d) { return convolution(lowering, 2, inputs, n_inputs, output); }
KPAR_LAYER(conv_3d) { return convolution(lowering, 3, inputs, n_inputs, output); }

/* Each channel by itself: a kernel (window..., channels, multiplier) as one of as many groups as channels. */
static kpar_status each_channel(kpar_lowering *lowering, int dims, const char *name, kpar_value_id x,
                                kpar_value_id *y)
{
    static const int64_t ones[] = {1, 1, 1};
    int64_t window[KPAR_MAX_RANK], multiplier;
    kpar_attributes attributes;
    kpar_value_id kernel;
    KPAR_TRY(kpar_lower_dims(lowering, "kernel_size", dims, NULL, window));
    KPAR_TRY(kpar_lower_window(lowering, dims, x, window, ones, &attributes));
    KPAR_TRY(kpar_lower_positive(lowering, "depth_multiplier", 1, &multiplier));
    const int64_t in = kpar_lower_shape(lowering, x)->dims[dims + 1].size;
    KPAR_TRY(
        kpar_lower_kernel(lowering, name, "depthwise_initializer", dims, window, in, multiplier, &kernel));
    kpar_shape grouped = *kpar_lower_shape(lowering, kernel);
    grouped.dims[dims].size = 1;
    grouped.dims[dims + 1].size = in * multiplier;
    KPAR_TRY(kpar_build_reshape(lowering->graph, grouped, kernel, &kernel));
    return kpar_build_conv(lowering->graph, &attributes, x, kernel, y);
}

static kpar_status depthwise(kpar_lowering *lowering, int dims, const kpar_value_id *inputs, int n_inputs,
                             kpar_value_id *output)
{
    kpar_value_id x;
    KPAR_TRY(kpar_lower_images(lowering, dims, inputs, n_inputs, &x));
    KPAR_TRY(each_channel(lowering, dims, "kernel", x, &x));
    return kpar_lower_biased(lowering, x, output);
}

KPAR_LAYER(depthwise_conv_1d) { return depthwise(lowering, 1, inputs, n_inputs, output); }
KPAR_LAYER(depthwise_conv_2d) { return depthwise(lowering, 2, inputs, n_inputs, output); }

static kpar_status separable(kpar_lowering *lowering, int dims, const kpar_value_id *inputs, int n_inputs,
                             kpar_value_id *output)
{
    static const int64_t ones[] = {1, 1, 1};
    int64_t filters;
    kpar_value_id x, kernel;
    KPAR_TRY(kpar_lower_images(lowering, dims, inputs, n_inputs, &x));
    KPAR_TRY(each_channel(lowering, dims, "depthwise_kernel", x, &x));
    KPAR_TRY(kpar_lower_positive(lowering, "filters", 0, &filters));
    const int64_t in = kpar_lower_shape(lowering, x)->dims[dims + 1].size;
    KPAR_TRY(kpar_lower_kernel(lowering, "pointwise_kernel", "pointwise_initializer", dims, ones, in, filters,
                               &kernel));
    KPAR_TRY(kpar_build_conv(lowering->graph, &(kpar_attributes){0}, x, kernel, &x));
    return kpar_lower_biased(lowering, x, output);
}

KPAR_LAYER(separable_conv_1d) { return separable(lowering, 1, inputs, n_inputs, output); }
KPAR_LAYER(separable_conv_2d) { return separable(lowering, 2, inputs, n_inputs, output); }
