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

/* How many windows there are in a dimension of `size` elements, and with numbers the elements that they cover, one after
 * another; in the arena. */
static int64_t cover(kpar_lowering *lowering, const kpar_attributes *window, int dim, int64_t cells,
                     int64_t size, int64_t **numbers)
{
    const int64_t stride = window->stride[dim], dilation = window->dilation[dim];
    const int64_t left = size - (cells - 1) * dilation - 1, n = left < 0 ? 0 : left / stride + 1;
    *numbers = kpar_arena_alloc(lowering->arena, (size_t)(n * cells + 1) * sizeof **numbers);
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < cells; k++) (*numbers)[i * cells + k] = i * stride + k * dilation;
    return n;
}

/* Windows of images, each as one pixel: along every dimension what the windows cover, then the places within them go
 * behind. */
static KPAR_OPERATION(patches)
{
    kpar_graph *g = lowering->graph;
    const int dims = kpar_lower_shape(lowering, inputs[0])->rank - 2;
    int64_t size[KPAR_MAX_RANK], *numbers;
    int order[KPAR_MAX_RANK] = {0};
    kpar_attributes window;
    if (dims < 2 || 2 * dims + 2 > KPAR_MAX_RANK)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: expected images or volumes, found a tensor of rank %d",
                         lowering->owner, dims + 2);
    KPAR_TRY(kpar_lower_images(lowering, dims, inputs, n_inputs, output));
    KPAR_TRY(kpar_lower_dims(lowering, "size", dims, NULL, size));
    KPAR_TRY(kpar_lower_window(lowering, dims, *output, size, size, &window));
    KPAR_TRY(kpar_build_pad(g, window.start, window.stop, *output, output));
    const kpar_shape from = *kpar_lower_shape(lowering, *output);
    const kpar_dim c = from.dims[dims + 1];
    kpar_shape apart = {.rank = 2 * dims + 2, .dims = {from.dims[0]}},
               to = {.rank = dims + 2, .dims = {from.dims[0]}};
    int64_t cells = c.size;
    for (int i = 1; i <= dims; i++) {
        const int64_t n = cover(lowering, &window, i, size[i - 1], from.dims[i].size, &numbers);
        KPAR_TRY(kpar_lower_pick(lowering, i, numbers, n * size[i - 1], *output, output));
        apart.dims[2 * i - 1] = to.dims[i] = of(n);
        apart.dims[2 * i] = of(size[i - 1]);
        order[i] = 2 * i - 1;
        order[dims + i] = 2 * i;
        cells *= size[i - 1];
    }
    apart.dims[2 * dims + 1] = c;
    order[2 * dims + 1] = 2 * dims + 1;
    to.dims[dims + 1] = of(cells);
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
    {"ExtractPatches", "windows of images or volumes as pixels", "size strides dilation_rate padding", "",
     .lower = patches, .images = true},
    {"MaxPool", "largest element of each window", "pool_size strides padding", "",
     .lower = largest_of_windows, .images = true},
    {"AveragePool", "mean of each window", "pool_size strides padding", "", .lower = mean_of_windows,
     .images = true},
};

const kpar_operation_table kpar_operations_of_images = KPAR_OPERATION_TABLE(rows);
