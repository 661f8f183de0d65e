/* Operations on images (batch, height, width, channels). */
#include "model/operations.h"
#include "model/resize.h"

static KPAR_OPERATION(resize)
{
    int64_t size[2];
    KPAR_TRY(kpar_lower_images(lowering, 2, inputs, n_inputs, output));
    KPAR_TRY(kpar_lower_dims(lowering, "size", 2, NULL, size));
    return kpar_lower_resize(lowering, size, *output, output);
}

static kpar_dim of(int64_t size) { return (kpar_dim){size, false}; }

/* Pixels as squares of pixels: (h, w, a b c) as (h a, w b, c); or back. */
static kpar_status rearrange(kpar_lowering *lowering, bool to_space, const kpar_value_id *inputs,
                             int n_inputs, kpar_value_id *output)
{
    static const int order[] = {0, 1, 3, 2, 4, 5};
    kpar_graph *g = lowering->graph;
    int64_t block;
    KPAR_TRY(kpar_lower_images(lowering, 2, inputs, n_inputs, output));
    KPAR_TRY(kpar_lower_positive(lowering, "block_size", 0, &block));
    const kpar_shape from = *kpar_lower_shape(lowering, *output);
    const int64_t h = from.dims[1].size, w = from.dims[2].size, c = from.dims[3].size, b = block;
    if (to_space ? c % (b * b) != 0 : h % b != 0 || w % b != 0)
        return kpar_fail(KPAR_EFORMAT, "%s: argument 'block_size': %lld does not divide its images",
                         lowering->owner, (long long)block);
    const kpar_shape apart = {.rank = 6,
                              .dims = {from.dims[0], of(to_space ? h : h / b), of(to_space ? w : b),
                                       of(to_space ? b : w / b), of(b), of(to_space ? c / (b * b) : c)}};
    const kpar_shape to = {.rank = 4,
                           .dims = {from.dims[0], of(to_space ? h * b : h / b), of(to_space ? w * b : w / b),
                                    of(to_space ? c / (b * b) : c * b * b)}};
    KPAR_TRY(kpar_build_reshape(g, apart, *output, output));
    KPAR_TRY(kpar_build_transpose(g, order, *output, output));
    return kpar_build_reshape(g, to, *output, output);
}

static KPAR_OPERATION(depth_to_space) { return rearrange(lowering, true, inputs, n_inputs, output); }

static KPAR_OPERATION(space_to_depth) { return rearrange(lowering, false, inputs, n_inputs, output); }

/* Patches side by side, each as one pixel: what does not fill a patch is left out. */
static KPAR_OPERATION(patches)
{
    static const int order[] = {0, 1, 3, 2, 4, 5};
    static const int64_t ones[] = {1, 1};
    kpar_graph *g = lowering->graph;
    int64_t size[2], strides[2], dilation[2], n[2];
    const char *padding;
    KPAR_TRY(kpar_lower_images(lowering, 2, inputs, n_inputs, output));
    KPAR_TRY(kpar_lower_dims(lowering, "size", 2, NULL, size));
    KPAR_TRY(kpar_lower_dims(lowering, "strides", 2, size, strides));
    KPAR_TRY(kpar_lower_dims(lowering, "dilation_rate", 2, ones, dilation));
    KPAR_TRY(kpar_config_string(lowering->owner, lowering->layer->config, "padding", "valid", &padding));
    const kpar_shape from = *kpar_lower_shape(lowering, *output);
    for (int i = 0; i < 2; i++) {
        n[i] = from.dims[i + 1].size / size[i];
        if (strides[i] != size[i] || dilation[i] != 1 || n[i] < 1 ||
            (padding[0] != 'v' && n[i] * size[i] != from.dims[i + 1].size))
            return kpar_fail(
                KPAR_EUNSUPPORTED,
                "%s: supported are patches side by side: strides as 'size', no dilation, and padding "
                "\"valid\" or images of whole patches",
                lowering->owner);
        KPAR_TRY(kpar_lower_cut(lowering, i + 1, 0, n[i] * size[i], *output, output));
    }
    const kpar_dim c = from.dims[3];
    const kpar_shape apart = {.rank = 6,
                              .dims = {from.dims[0], of(n[0]), of(size[0]), of(n[1]), of(size[1]), c}};
    const kpar_shape to = {.rank = 4,
                           .dims = {from.dims[0], of(n[0]), of(n[1]), of(size[0] * size[1] * c.size)}};
    KPAR_TRY(kpar_build_reshape(g, apart, *output, output));
    KPAR_TRY(kpar_build_transpose(g, order, *output, output));
    return kpar_build_reshape(g, to, *output, output);
}

static KPAR_OPERATION(largest_of_windows)
{
    const int dims = kpar_lower_shape(lowering, inputs[0])->rank - 2;
    return kpar_lower_pooling(lowering, dims, KPAR_REDUCE_MAX, inputs, n_inputs, output);
}

static KPAR_OPERATION(mean_of_windows)
{
    const int dims = kpar_lower_shape(lowering, inputs[0])->rank - 2;
    return kpar_lower_pooling(lowering, dims, KPAR_REDUCE_SUM, inputs, n_inputs, output);
}

static const kpar_layer_row rows[] = {
    {"Resize", "images of another size",
     "size interpolation antialias crop_to_aspect_ratio pad_to_aspect_ratio fill_value",
     "fill_mode=\"constant\"", .lower = resize, .images = true},
    {"DepthToSpace", "pixels as squares of pixels", "block_size", "", .lower = depth_to_space,
     .images = true},
    {"SpaceToDepth", "squares of pixels as pixels", "block_size", "", .lower = space_to_depth,
     .images = true},
    {"ExtractPatches", "patches side by side as pixels", "size strides dilation_rate padding", "",
     .lower = patches, .images = true},
    {"MaxPool", "largest element of each window", "pool_size strides padding", "",
     .lower = largest_of_windows, .images = true},
    {"AveragePool", "mean of each window", "pool_size strides padding", "", .lower = mean_of_windows,
     .images = true},
};

const kpar_operation_table kpar_operations_of_images = KPAR_OPERATION_TABLE(rows);
