/* conv: images (batch, ..., in) with a kernel (..., in / groups, out) give (batch, ..., out). The number of groups
 * follows from the shapes: the channels of an image over those of the kernel. */
#include "graph/build.h"
#include "graph/op_rules.h"

enum { MOST = 5 }; /* ranks: one to three dimensions between batch and channels */

static kpar_status misfit(const kpar_shape *x, const kpar_shape *kernel, const char *what)
{
    char one[KPAR_SHAPE_TEXT], other[KPAR_SHAPE_TEXT];
    return kpar_fail(KPAR_EUNSUPPORTED, "images %s and kernel %s: %s", kpar_shape_format(one, x),
                     kpar_shape_format(other, kernel), what);
}

/* The shape of the convolution of images `x` with a kernel. */
static kpar_status convolved(const kpar_attributes *a, const kpar_shape *x, const kpar_shape *kernel,
                             kpar_shape *out)
{
    const int r = x->rank;
    if (r < 3 || r > MOST || kernel->rank != r) return misfit(x, kernel, "expected equal ranks of 3 to 5");
    const int64_t in = x->dims[r - 1].size, each = kernel->dims[r - 2].size,
                  channels = kernel->dims[r - 1].size;
    for (int i = 1; i < r; i++)
        if (x->dims[i].batch) return misfit(x, kernel, "the batch is not the images' first dimension");
    if (each <= 0 || in % each != 0) return misfit(x, kernel, "the channels do not divide into groups");
    if (in > 0 && channels % (in / each) != 0)
        return misfit(x, kernel, "the kernel's outputs do not divide by the groups");
    *out = *x;
    for (int i = 1; i < r - 1; i++) {
        out->dims[i].size = kpar_window_positions(a, i, x->dims[i].size, kernel->dims[i - 1].size);
        if (out->dims[i].size <= 0) return misfit(x, kernel, "the kernel is larger than the images");
    }
    out->dims[r - 1].size = channels;
    return KPAR_OK;
}

KPAR_SHAPE_RULE(conv)
{
    (void)n_inputs;
    (void)n_outputs;
    dtypes[0] = g->real;
    return convolved(a, &kpar_graph_value(g, inputs[0])->shape, &kpar_graph_value(g, inputs[1])->shape,
                     &shapes[0]);
}

/* Whether `dy` has the shape of the convolution's result; that of the gradient is the attribute. */
static kpar_status fits_result(const kpar_attributes *a, const kpar_shape *x, const kpar_shape *kernel,
                               const kpar_shape *dy)
{
    kpar_shape result;
    KPAR_TRY(convolved(a, x, kernel, &result));
    return kpar_shape_equal(&result, dy) ? KPAR_OK : misfit(x, kernel, "their result has another shape");
}

KPAR_SHAPE_RULE(conv_input_gradient)
{
    (void)n_inputs;
    (void)n_outputs;
    dtypes[0] = g->real;
    shapes[0] = a->shape;
    return fits_result(a, &a->shape, &kpar_graph_value(g, inputs[1])->shape,
                       &kpar_graph_value(g, inputs[0])->shape);
}

KPAR_SHAPE_RULE(conv_kernel_gradient)
{
    (void)n_inputs;
    (void)n_outputs;
    dtypes[0] = g->real;
    shapes[0] = a->shape;
    return fits_result(a, &kpar_graph_value(g, inputs[0])->shape, &a->shape,
                       &kpar_graph_value(g, inputs[1])->shape);
}

/* Appends one of the gradients, whose result has the shape of `like`. */
static kpar_status gradient_of(kpar_graph *g, kpar_op_kind kind, const kpar_attributes *window,
                               kpar_value_id first, kpar_value_id second, kpar_value_id like,
                               kpar_value_id *out)
{
    kpar_attributes attributes = *window;
    attributes.shape = g->values[like].shape;
    return kpar_graph_append(g, kind, (kpar_value_id[]){first, second}, 2, &attributes, out);
}

KPAR_GRADIENT_RULE(conv)
{
    const kpar_op op = g->ops[id];
    const kpar_value_id x = op.inputs[0], kernel = op.inputs[1];
    if (dy[0] < 0) return KPAR_OK;
    if (wanted[0])
        KPAR_TRY(gradient_of(g, KPAR_OP_CONV_INPUT_GRADIENT, &op.attributes, dy[0], kernel, x, &dx[0]));
    if (wanted[1])
        KPAR_TRY(gradient_of(g, KPAR_OP_CONV_KERNEL_GRADIENT, &op.attributes, x, dy[0], kernel, &dx[1]));
    return KPAR_OK;
}

/* It is linear in both: with images z = conv_input_gradient(d, kernel), dz's convolution is the gradient of d. */
KPAR_GRADIENT_RULE(conv_input_gradient)
{
    const kpar_op op = g->ops[id];
    const kpar_value_id d = op.inputs[0], kernel = op.inputs[1];
    if (dy[0] < 0) return KPAR_OK;
    if (wanted[0]) {
        kpar_attributes window = op.attributes;
        window.shape = (kpar_shape){.rank = 0};
        KPAR_TRY(kpar_build_conv(g, &window, dy[0], kernel, &dx[0]));
    }
    if (wanted[1])
        KPAR_TRY(gradient_of(g, KPAR_OP_CONV_KERNEL_GRADIENT, &op.attributes, dy[0], d, kernel, &dx[1]));
    return KPAR_OK;
}

/* Each element of the result is a sum over a window of the channels of a group. */
static double flops(const kpar_array *result, const kpar_array *kernel)
{
    const int64_t channels = kernel->dims[kernel->rank - 1];
    return channels ? 2.0 * (double)kpar_array_count(result) *
                          ((double)kpar_array_count(kernel) / (double)channels)
                    : 0;
}

KPAR_FLOPS_RULE(conv)
{
    (void)a;
    (void)n_inputs;
    return flops(&outputs[0], &inputs[1]);
}

KPAR_FLOPS_RULE(conv_input_gradient)
{
    (void)a;
    (void)n_inputs;
    (void)outputs;
    return flops(&inputs[0], &inputs[1]);
}

KPAR_FLOPS_RULE(conv_kernel_gradient)
{
    (void)a;
    (void)n_inputs;
    return flops(&inputs[1], &outputs[0]);
}
