/* Layers over the spatial dimensions of (batch, spatial ..., channels): repeated, interpolated, padded, cropped, pooled. */
#include "model/lower_internal.h"

#include <math.h>
#include <string.h>

/* Each element along `dim` `times` times, one after the other. */
static kpar_status repeat(kpar_lowering *lowering, kpar_value_id x, int dim, int64_t times,
                          kpar_value_id *out)
{
    kpar_graph *g = lowering->graph;
    const kpar_shape shape = *kpar_lower_shape(lowering, x);
    kpar_shape wide = shape, repeated = shape;
    if (shape.rank == KPAR_MAX_RANK)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: more than %d dimensions", lowering->owner, KPAR_MAX_RANK);
    for (int i = wide.rank++; i > dim + 1; i--) wide.dims[i] = wide.dims[i - 1];
    wide.dims[dim + 1] = (kpar_dim){1, false};
    KPAR_TRY(kpar_build_reshape(g, wide, x, out));
    wide.dims[dim + 1].size = times;
    KPAR_TRY(kpar_build_broadcast(g, wide, *out, out));
    repeated.dims[dim].size *= times;
    return kpar_build_reshape(g, repeated, *out, out);
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
    return repeat(lowering, *output, 1, n, output);
}

/* Rows of the matrix that makes `size` points of n by half-pixel centres: the nearest, or linearly between two with
 * edges held. */
static json_t *interpolation(int64_t n, int64_t size, bool nearest)
{
    json_t *rows = json_array();
    for (int64_t i = 0; i < size; i++) {
        json_t *row = json_array();
        double at = ((double)i + 0.5) * (double)n / (double)size - (nearest ? 0 : 0.5);
        if (nearest) at = floor(at);
        at = at < 0 ? 0 : at > (double)(n - 1) ? (double)(n - 1) : at;
        const int64_t low = (int64_t)at, high = low + 1 < n ? low + 1 : low;
        for (int64_t k = 0; k < n; k++) {
            const double share = at - (double)low;
            json_array_append_new(row, json_real((k == low ? 1 - share : 0) + (k == high ? share : 0)));
        }
        json_array_append_new(rows, row);
    }
    return rows;
}

/* Dimension `dim` of x times the matrix of interpolation, as a product of matrices. */
static kpar_status interpolate(kpar_lowering *lowering, kpar_value_id x, int dim, int64_t size, bool nearest,
                               kpar_value_id *out)
{
    kpar_graph *g = lowering->graph;
    const kpar_shape shape = *kpar_lower_shape(lowering, x);
    int last_first[KPAR_MAX_RANK], back[KPAR_MAX_RANK];
    json_t *rows = interpolation(shape.dims[dim].size, size, nearest);
    kpar_value_id matrix;
    kpar_status status = kpar_lower_array(lowering, rows, &matrix);
    json_decref(rows);
    KPAR_TRY(status);
    for (int i = 0; i < shape.rank; i++) last_first[i] = i < dim ? i : i + 1 < shape.rank ? i + 1 : dim;
    for (int i = 0; i < shape.rank; i++) back[last_first[i]] = i;
    KPAR_TRY(kpar_build_transpose(g, last_first, x, out));
    kpar_shape moved = *kpar_lower_shape(lowering, *out);
    const kpar_shape flat = {
        .rank = 2, .dims = {{kpar_lower_elements(&moved, 0) / shape.dims[dim].size, true}, shape.dims[dim]}};
    KPAR_TRY(kpar_build_reshape(g, flat, *out, out));
    KPAR_TRY(kpar_build_matmul(g, *out, false, matrix, true, out));
    moved.dims[moved.rank - 1].size = size;
    KPAR_TRY(kpar_build_reshape(g, moved, *out, out));
    return kpar_build_transpose(g, back, *out, out);
}

KPAR_LAYER(up_sampling)
{
    const json_t *config = lowering->layer->config, *size = json_object_get(config, "size");
    const char *method;
    const int spatial = kpar_lower_shape(lowering, inputs[0])->rank - 2;
    (void)n_inputs;
    KPAR_TRY(kpar_config_string(lowering->owner, config, "interpolation", "nearest", &method));
    KPAR_TRY(kpar_lower_real(lowering, inputs[0], output));
    const bool nearest = strcmp(method, "nearest") == 0;
    if (spatial < 1 || (!nearest && strcmp(method, "bilinear") != 0))
        return kpar_fail(
            KPAR_EUNSUPPORTED,
            "%s: expected an input of rank 3 or more and interpolation nearest or bilinear, found '%s'",
            lowering->owner, method);
    for (int i = 0; i < spatial; i++) {
        const int64_t times =
            json_integer_value(json_is_array(size) ? json_array_get(size, (size_t)i) : size);
        if (times < 1)
            return kpar_fail(KPAR_EFORMAT, "%s: argument 'size': expected positive numbers", lowering->owner);
        const int64_t points = kpar_lower_shape(lowering, *output)->dims[i + 1].size;
        if (times > 1 && nearest) KPAR_TRY(repeat(lowering, *output, i + 1, times, output));
        if (times > 1 && !nearest)
            KPAR_TRY(interpolate(lowering, *output, i + 1, points * times, false, output));
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
    const char *method;
    KPAR_TRY(read_target(lowering, inputs, n_inputs, size, output));
    KPAR_TRY(kpar_config_string(lowering->owner, lowering->layer->config, "interpolation", "bilinear",
                                &method));
    const bool nearest = strcmp(method, "nearest") == 0;
    if (!nearest && strcmp(method, "bilinear") != 0)
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: argument 'interpolation' is \"%s\"; supported: nearest, bilinear",
                         lowering->owner, method);
    for (int i = 0; i < 2; i++)
        if (size[i] != kpar_lower_shape(lowering, *output)->dims[i + 1].size)
            KPAR_TRY(interpolate(lowering, *output, i + 1, size[i], nearest, output));
    return KPAR_OK;
}

KPAR_LAYER(center_crop)
{
    int64_t size[2], start[KPAR_MAX_RANK] = {0}, stop[KPAR_MAX_RANK];
    KPAR_TRY(read_target(lowering, inputs, n_inputs, size, output));
    const kpar_shape *shape = kpar_lower_shape(lowering, *output);
    for (int i = 0; i < shape->rank; i++) stop[i] = KPAR_TO_END;
    for (int i = 0; i < 2; i++) {
        const int64_t margin = shape->dims[i + 1].size - size[i];
        if (margin < 0)
            return kpar_fail(KPAR_EUNSUPPORTED, "%s: its images are smaller than what is cropped from them",
                             lowering->owner);
        start[i + 1] = margin / 2;
        stop[i + 1] = margin / 2 + size[i];
    }
    return kpar_build_slice(lowering->graph, start, stop, *output, output);
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
