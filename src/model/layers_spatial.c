/* Layers over the spatial dimensions of (batch, spatial ..., channels): repeated, interpolated, padded, cropped, pooled. */
#include "model/resize.h"

#include <string.h>

kpar_status kpar_lower_repeat(kpar_lowering *lowering, int dim, int64_t times, bool whole, kpar_value_id x,
                              kpar_value_id *out)
{
    const int copies = whole ? dim : dim + 1;
    kpar_shape repeated = *kpar_lower_shape(lowering, x);
    repeated.dims[dim].size *= times;
    KPAR_TRY(kpar_lower_insert(lowering, copies, x, out));
    kpar_shape wide = *kpar_lower_shape(lowering, *out);
    wide.dims[copies].size = times;
    KPAR_TRY(kpar_build_broadcast(lowering->graph, wide, *out, out));
    return kpar_build_reshape(lowering->graph, repeated, *out, out);
}

KPAR_LAYER(repeat_vector)
{
    int64_t n;
    const kpar_shape *shape = kpar_lower_shape(lowering, inputs[0]);
    const kpar_shape one = {.rank = 3, .dims = {shape->dims[0], {1, false}, shape->dims[1]}};
    (void)n_inputs;
    KPAR_TRY(kpar_config_integer(lowering->owner, lowering->layer->config, "n", 1, &n));
    if (shape->rank != 2 || n < 1)
        return kpar_fail(KPAR_EFORMAT, "%s: expected an input of rank 2 and a number of times, found %lld",
                         lowering->owner, (long long)n);
    KPAR_TRY(kpar_build_reshape(lowering->graph, one, inputs[0], output));
    return kpar_lower_repeat(lowering, 1, n, false, *output, output);
}

KPAR_LAYER(up_sampling)
{
    const json_t *config = lowering->layer->config, *size = json_object_get(config, "size");
    const char *method;
    const int spatial = kpar_lower_shape(lowering, inputs[0])->rank - 2;
    (void)n_inputs;
    KPAR_TRY(kpar_config_string(lowering->owner, config, "interpolation", "nearest", &method));
    KPAR_TRY(kpar_lower_real(lowering, inputs[0], output));
    if (spatial < 1)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: expected an input of rank 3 or more", lowering->owner);
    for (int i = 0; i < spatial; i++) {
        const int64_t times =
            json_integer_value(json_is_array(size) ? json_array_get(size, (size_t)i) : size);
        if (times < 1)
            return kpar_fail(KPAR_EFORMAT, "%s: argument 'size': expected positive numbers", lowering->owner);
        const int64_t points = kpar_lower_shape(lowering, *output)->dims[i + 1].size;
        if (times > 1 && strcmp(method, "nearest") == 0)
            KPAR_TRY(kpar_lower_repeat(lowering, i + 1, times, false, *output, output));
        else
            KPAR_TRY(kpar_lower_interpolate(lowering, i + 1, points * times, method, false, *output, output));
    }
    return KPAR_OK;
}

/* The arguments 'height' and 'width', of images of two dimensions. */
static kpar_status read_target(kpar_lowering *lowering, const kpar_value_id *inputs, int n_inputs,
                               int64_t *size, kpar_value_id *images)
{
    KPAR_TRY(kpar_lower_images(lowering, 2, inputs, n_inputs, images));
    KPAR_TRY(kpar_lower_positive(lowering, "height", 0, &size[0]));
    return kpar_lower_positive(lowering, "width", 0, &size[1]);
}

KPAR_LAYER(resizing)
{
    int64_t size[2];
    KPAR_TRY(read_target(lowering, inputs, n_inputs, size, output));
    return kpar_lower_resize(lowering, size, *output, output);
}

/* Smaller images are cropped to the ratio of the sides and then enlarged. */
KPAR_LAYER(center_crop)
{
    int64_t size[2], margin[2];
    KPAR_TRY(read_target(lowering, inputs, n_inputs, size, output));
    for (int i = 0; i < 2; i++) margin[i] = kpar_lower_shape(lowering, *output)->dims[i + 1].size - size[i];
    const bool larger = margin[0] >= 0 && margin[1] >= 0;
    if (!larger) KPAR_TRY(kpar_lower_crop_to_ratio(lowering, size, *output, output));
    for (int i = 0; i < 2; i++)
        KPAR_TRY(
            larger ? kpar_lower_cut(lowering, i + 1, margin[i] / 2, margin[i] / 2 + size[i], *output, output)
                   : kpar_lower_interpolate(lowering, i + 1, size[i], "bilinear", false, *output, output));
    return KPAR_OK;
}

/* Elements before and after each spatial dimension, by the argument `key`: a number, a number for each dimension, or two
 * for each; with one spatial dimension a list of two is these two. */
static kpar_status read_margins(kpar_lowering *lowering, const char *key, int spatial, int64_t *before,
                                int64_t *after)
{
    const json_t *given = json_object_get(lowering->layer->config, key);
    const bool pair = spatial == 1 && json_array_size(given) == 2;
    if (json_is_array(given) && !pair && (int)json_array_size(given) != spatial)
        return kpar_fail(KPAR_EFORMAT, "%s: argument '%s': expected an entry for each of %d dimensions",
                         lowering->owner, key, spatial);
    for (int i = 0; i < spatial; i++) {
        const json_t *entry = json_is_array(given) && !pair ? json_array_get(given, (size_t)i) : given;
        before[i + 1] = json_integer_value(json_is_array(entry) ? json_array_get(entry, 0) : entry);
        after[i + 1] = json_integer_value(json_is_array(entry) ? json_array_get(entry, 1) : entry);
        if (before[i + 1] < 0 || after[i + 1] < 0)
            return kpar_fail(KPAR_EFORMAT, "%s: argument '%s': expected numbers from 0", lowering->owner,
                             key);
    }
    return KPAR_OK;
}

KPAR_LAYER(zero_padding)
{
    int64_t before[KPAR_MAX_RANK] = {0}, after[KPAR_MAX_RANK] = {0};
    (void)n_inputs;
    KPAR_TRY(kpar_lower_real(lowering, inputs[0], output));
    KPAR_TRY(read_margins(lowering, "padding", kpar_lower_shape(lowering, *output)->rank - 2, before, after));
    return kpar_build_pad(lowering->graph, before, after, *output, output);
}

KPAR_LAYER(cropping)
{
    int64_t start[KPAR_MAX_RANK] = {0}, stop[KPAR_MAX_RANK] = {0};
    (void)n_inputs;
    KPAR_TRY(kpar_lower_real(lowering, inputs[0], output));
    const kpar_shape *shape = kpar_lower_shape(lowering, *output);
    KPAR_TRY(read_margins(lowering, "cropping", shape->rank - 2, start, stop));
    for (int i = 0; i < shape->rank; i++) {
        const bool spatial = i > 0 && i < shape->rank - 1;
        if (spatial && start[i] + stop[i] >= shape->dims[i].size)
            return kpar_fail(KPAR_EFORMAT, "%s: argument 'cropping': nothing is left of dimension %d",
                             lowering->owner, i);
        stop[i] = spatial ? shape->dims[i].size - stop[i] : KPAR_TO_END;
    }
    return kpar_build_slice(lowering->graph, start, stop, *output, output);
}

/* The argument 'keepdims', and the spatial dimensions. */
static kpar_status read_pooling(kpar_lowering *lowering, const kpar_value_id *inputs, kpar_value_id *x,
                                unsigned *axes, bool *keep)
{
    KPAR_TRY(kpar_config_boolean(lowering->owner, lowering->layer->config, "keepdims", false, keep));
    KPAR_TRY(kpar_lower_real(lowering, inputs[0], x));
    *axes = ((1u << (kpar_lower_shape(lowering, *x)->rank - 1)) - 1) & ~1u;
    return KPAR_OK;
}

/* Mean over the steps (dimension 1) that the mask leaves. */
static kpar_status mean_of_steps(kpar_lowering *lowering, bool keep, kpar_value_id x, kpar_value_id *out)
{
    kpar_value_id terms[2] = {x};
    kpar_shape shape = *kpar_lower_shape(lowering, lowering->masks[0]);
    shape.dims[shape.rank++] = (kpar_dim){1, false};
    KPAR_TRY(kpar_build_reshape(lowering->graph, shape, lowering->masks[0], &terms[1]));
    KPAR_TRY(kpar_lower_kept_where(lowering, terms[1], x, 0, &terms[0]));
    for (int i = 0; i < 2; i++)
        KPAR_TRY(kpar_lower_reduce(lowering, KPAR_REDUCE_SUM, 1u << 1, keep, terms[i], &terms[i]));
    return kpar_build_binary(lowering->graph, KPAR_SCALAR_DIVIDE, terms[0], terms[1], out);
}

KPAR_LAYER(global_average_pooling)
{
    unsigned axes;
    bool keep;
    (void)n_inputs;
    KPAR_TRY(read_pooling(lowering, inputs, output, &axes, &keep));
    if (axes == 1u << 1 && lowering->masks[0] >= 0) return mean_of_steps(lowering, keep, *output, output);
    return kpar_lower_mean(lowering, axes, keep, *output, output);
}

KPAR_LAYER(global_max_pooling)
{
    unsigned axes;
    bool keep;
    (void)n_inputs;
    KPAR_TRY(read_pooling(lowering, inputs, output, &axes, &keep));
    return kpar_lower_reduce(lowering, KPAR_REDUCE_MAX, axes, keep, *output, output);
}
