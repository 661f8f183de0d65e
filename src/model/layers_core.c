/* Layers: inputs, Dense, activation layers, Dropout. */
#include "base/philox.h"
#include "model/lower_internal.h"

/* InputLayer */

/* Integers and booleans are read as int32, floating-point numbers as real. */
static kpar_status input_type(kpar_lowering *lowering, kpar_dtype *dtype)
{
    const char *name;
    KPAR_TRY(kpar_config_string(lowering->owner, lowering->layer->config, "dtype", "float32", &name));
    if (!kpar_dtype_parse(name, dtype))
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: argument 'dtype' is \"%s\"; only numbers can be inputs",
                         lowering->owner, name);
    bool real = *dtype == KPAR_F32 || *dtype == KPAR_F64 || *dtype == KPAR_F16 || *dtype == KPAR_BF16;
    *dtype = real ? lowering->graph->real : KPAR_I32;
    return KPAR_OK;
}

/* (batch, ...) from batch_shape [null, ...]. */
static kpar_status input_shape(const kpar_lowering *lowering, kpar_shape *shape)
{
    const json_t *list = json_object_get(lowering->layer->config, "batch_shape");
    const size_t rank = json_array_size(list);
    if (rank < 1 || rank > KPAR_MAX_RANK)
        return kpar_fail(KPAR_EFORMAT,
                         "%s: argument 'batch_shape': expected a list of 1 to %d dimensions, found %zu",
                         lowering->owner, KPAR_MAX_RANK, rank);
    if (!json_is_null(json_array_get(list, 0)))
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: argument 'batch_shape' fixes the batch size; save the model without batch_size",
                         lowering->owner);
    *shape = (kpar_shape){.rank = (int)rank, .dims = {{1, true}}};
    for (size_t i = 1; i < rank; i++) {
        const json_t *size = json_array_get(list, i);
        if (!json_is_integer(size) || json_integer_value(size) <= 0)
            return kpar_fail(KPAR_EUNSUPPORTED,
                             "%s: argument 'batch_shape': dimension %zu is not fixed; give it a size",
                             lowering->owner, i);
        shape->dims[i].size = json_integer_value(size);
    }
    return KPAR_OK;
}

KPAR_LAYER(input)
{
    const kpar_model *model = lowering->model;
    kpar_shape shape;
    kpar_dtype dtype;
    (void)inputs;
    (void)n_inputs;
    KPAR_TRY(input_shape(lowering, &shape));
    KPAR_TRY(input_type(lowering, &dtype));
    for (int i = 0; i < model->n_inputs; i++)
        if (model->inputs[i].tensor.call == lowering->call) {
            *output = kpar_graph_source(lowering->graph, KPAR_FROM_FEATURE, i, dtype, shape);
            return KPAR_OK;
        }
    return kpar_fail(KPAR_EFORMAT, "%s: is not among the model's inputs", lowering->owner);
}

/* Dense */

/* (k·batch, features): all dimensions but the last folded into one. */
static kpar_shape folded(const kpar_shape *shape)
{
    kpar_shape result = {.rank = 2, .dims = {{1, false}, shape->dims[shape->rank - 1]}};
    for (int i = 0; i < shape->rank - 1; i++) {
        result.dims[0].size *= shape->dims[i].size;
        result.dims[0].batch = result.dims[0].batch || shape->dims[i].batch;
    }
    return result;
}

/* x W (+ b), where x has rank 2. */
static kpar_status affine(kpar_lowering *lowering, kpar_value_id x, int64_t in, int64_t units, bool use_bias,
                          kpar_value_id *out)
{
    const kpar_weight kernel_weight = {.name = "kernel",
                                       .initializer = "kernel_initializer",
                                       .by_default = "GlorotUniform",
                                       .rank = 2,
                                       .dims = {in, units}};
    const kpar_weight bias_weight = {
        .name = "bias", .initializer = "bias_initializer", .by_default = "Zeros", .rank = 1, .dims = {units}};
    kpar_value_id kernel, bias;
    KPAR_TRY(kpar_lower_weight(lowering, &kernel_weight, &kernel));
    KPAR_TRY(kpar_build_matmul(lowering->graph, x, false, kernel, false, out));
    if (!use_bias) return KPAR_OK;
    KPAR_TRY(kpar_lower_weight(lowering, &bias_weight, &bias));
    return kpar_build_binary(lowering->graph, KPAR_SCALAR_ADD, *out, bias, out);
}

KPAR_LAYER(dense)
{
    const json_t *config = lowering->layer->config;
    kpar_graph *g = lowering->graph;
    int64_t units;
    bool use_bias;
    kpar_value_id x;
    KPAR_TRY(kpar_config_integer(lowering->owner, config, "units", 0, &units));
    KPAR_TRY(kpar_config_boolean(lowering->owner, config, "use_bias", true, &use_bias));
    if (units <= 0)
        return kpar_fail(KPAR_EFORMAT, "%s: argument 'units': expected a positive number, found %lld",
                         lowering->owner, (long long)units);
    KPAR_TRY(kpar_lower_real(lowering, inputs[0], &x));
    kpar_shape shape = *kpar_lower_shape(lowering, x), flat = folded(&shape);
    if (n_inputs != 1 || shape.rank < 2)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: expected one input of rank 2 or more", lowering->owner);

    KPAR_TRY(kpar_build_reshape(g, flat, x, &x));
    KPAR_TRY(affine(lowering, x, flat.dims[1].size, units, use_bias, &x));
    KPAR_TRY(kpar_lower_activation(lowering, json_object_get(config, "activation"), x, &x));
    shape.dims[shape.rank - 1].size = units;
    return kpar_build_reshape(g, shape, x, output);
}

/* Activation layers */

KPAR_LAYER(activation)
{
    (void)n_inputs;
    KPAR_TRY(kpar_lower_activation(lowering, json_object_get(lowering->layer->config, "activation"),
                                   inputs[0], output));
    if (*output == inputs[0]) kpar_lower_pass_on(lowering, inputs[0], output);
    return KPAR_OK;
}

/* Keras's relu with all arguments: what is above `threshold`, at most `maximum`, with a slope below. */
static kpar_x general_relu(kpar_expression_builder *e, kpar_x x, double maximum, double slope,
                           double threshold)
{
    kpar_x zero = kpar_x_constant(e, 0), bound = kpar_x_constant(e, threshold),
           limit = kpar_x_constant(e, maximum);
    if (maximum < 0 && threshold == 0 && slope != 0) return kpar_x_leaky_relu(e, x, slope);
    kpar_x above = threshold != 0 ? kpar_x_select(e, kpar_x_lt(e, bound, x), x, zero) : kpar_x_relu(e, x);
    if (maximum == 6 && threshold == 0)
        above = kpar_x_min(e, limit, above); /* relu6, whose derivative at 6 is 0 */
    else if (maximum >= 0)
        above = kpar_x_min(e, kpar_x_max(e, above, zero), limit);
    if (slope == 0) return above;
    kpar_x below = kpar_x_relu(e, kpar_x_sub(e, bound, x));
    return kpar_x_sub(e, above, kpar_x_mul(e, below, kpar_x_constant(e, slope)));
}

KPAR_LAYER(relu)
{
    const json_t *config = lowering->layer->config;
    double maximum, slope, threshold;
    kpar_value_id x;
    (void)n_inputs;
    KPAR_TRY(kpar_config_number(lowering->owner, config, "max_value", -1, &maximum));
    KPAR_TRY(kpar_config_number(lowering->owner, config, "negative_slope", 0, &slope));
    KPAR_TRY(kpar_config_number(lowering->owner, config, "threshold", 0, &threshold));
    KPAR_TRY(kpar_lower_real(lowering, inputs[0], &x));
    kpar_expression_builder *e = kpar_expression_begin(1);
    return kpar_lower_apply(lowering, e, general_relu(e, kpar_x_input(e, 0), maximum, slope, threshold), &x,
                            1, output);
}

KPAR_LAYER(leaky_relu)
{
    const json_t *config = lowering->layer->config;
    double slope;
    kpar_value_id x;
    (void)n_inputs;
    KPAR_TRY(kpar_config_number(lowering->owner, config, "alpha", 0.3, &slope)); /* the older name */
    KPAR_TRY(kpar_config_number(lowering->owner, config, "negative_slope", slope, &slope));
    KPAR_TRY(kpar_lower_real(lowering, inputs[0], &x));
    kpar_expression_builder *e = kpar_expression_begin(1);
    return kpar_lower_apply(lowering, e, kpar_x_leaky_relu(e, kpar_x_input(e, 0), slope), &x, 1, output);
}

/* relu(x) - alpha relu(-x), alpha a weight for each element but along shared_axes. */
KPAR_LAYER(p_re_lu)
{
    const json_t *shared = json_object_get(lowering->layer->config, "shared_axes");
    kpar_value_id terms[2];
    (void)n_inputs;
    KPAR_TRY(kpar_lower_real(lowering, inputs[0], &terms[0]));
    const kpar_shape *shape = kpar_lower_shape(lowering, terms[0]);
    kpar_weight alpha = {
        .name = "alpha", .initializer = "alpha_initializer", .by_default = "Zeros", .rank = shape->rank - 1};
    for (int i = 1; i < shape->rank; i++) alpha.dims[i - 1] = shape->dims[i].size;
    for (size_t k = 0; k < json_array_size(shared); k++) {
        const int64_t axis = json_integer_value(json_array_get(shared, k));
        if (axis < 1 || axis >= shape->rank)
            return kpar_fail(KPAR_EFORMAT, "%s: argument 'shared_axes': %lld is no dimension after the batch",
                             lowering->owner, (long long)axis);
        alpha.dims[axis - 1] = 1;
    }
    KPAR_TRY(kpar_lower_weight(lowering, &alpha, &terms[1]));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x x = kpar_x_input(e, 0);
    kpar_x below = kpar_x_mul(e, kpar_x_input(e, 1), kpar_x_relu(e, kpar_x_neg(e, x)));
    return kpar_lower_apply(lowering, e, kpar_x_sub(e, kpar_x_relu(e, x), below), terms, 2, output);
}

KPAR_LAYER(elu)
{
    double alpha;
    kpar_value_id x;
    (void)n_inputs;
    KPAR_TRY(kpar_config_number(lowering->owner, lowering->layer->config, "alpha", 1, &alpha));
    KPAR_TRY(kpar_lower_real(lowering, inputs[0], &x));
    kpar_expression_builder *e = kpar_expression_begin(1);
    return kpar_lower_apply(lowering, e, kpar_x_elu(e, kpar_x_input(e, 0), alpha), &x, 1, output);
}

/* Puts the dimensions `axes` last, as one; `order` is where they came from. */
static kpar_status gather_axes(kpar_lowering *lowering, unsigned axes, kpar_value_id x, int *order,
                               kpar_value_id *out)
{
    const kpar_shape shape = *kpar_lower_shape(lowering, x);
    kpar_shape flat = {.rank = 0};
    int n = 0;
    int64_t size = 1;
    for (int i = 0; i < shape.rank; i++)
        if (!(axes >> i & 1)) {
            flat.dims[flat.rank++] = shape.dims[i];
            order[n++] = i;
        }
    for (int i = 0; i < shape.rank; i++)
        if (axes >> i & 1) {
            size *= shape.dims[i].size;
            order[n++] = i;
        }
    flat.dims[flat.rank++] = (kpar_dim){size, false};
    KPAR_TRY(kpar_build_transpose(lowering->graph, order, x, out));
    return kpar_build_reshape(lowering->graph, flat, *out, out);
}

/* By transposing, over other dimensions than the last, or over several. */
kpar_status kpar_lower_softmax_over(kpar_lowering *lowering, unsigned axes, kpar_value_id x,
                                    kpar_value_id *output)
{
    int order[KPAR_MAX_RANK], back[KPAR_MAX_RANK];
    const kpar_shape shape = *kpar_lower_shape(lowering, x);
    kpar_shape moved = shape;
    if (axes == 1u << (shape.rank - 1)) return kpar_build_softmax(lowering->graph, x, output);
    KPAR_TRY(gather_axes(lowering, axes, x, order, output));
    KPAR_TRY(kpar_build_softmax(lowering->graph, *output, output));
    for (int i = 0; i < shape.rank; i++) {
        moved.dims[i] = shape.dims[order[i]];
        back[order[i]] = i;
    }
    KPAR_TRY(kpar_build_reshape(lowering->graph, moved, *output, output));
    return kpar_build_transpose(lowering->graph, back, *output, output);
}

kpar_status kpar_lower_softmax(kpar_lowering *lowering, unsigned axes, kpar_value_id x, kpar_value_id *output)
{
    const bool one = (axes & (axes - 1)) == 0;
    if (one) lowering->call_logits[lowering->call] = x;
    return kpar_lower_softmax_over(lowering, axes, x, output);
}

KPAR_LAYER(softmax)
{
    unsigned axes;
    kpar_value_id x;
    const int rank = kpar_lower_shape(lowering, inputs[0])->rank;
    const kpar_value_id mask = lowering->masks[0];
    (void)n_inputs;
    KPAR_TRY(kpar_lower_axes(lowering, rank, &axes));
    KPAR_TRY(kpar_lower_real(lowering, inputs[0], &x));
    if (mask >= 0) KPAR_TRY(kpar_lower_kept_where(lowering, mask, x, -1e9, &x)); /* as in Keras */
    KPAR_TRY(kpar_lower_softmax(lowering, axes, x, output));
    return mask >= 0 ? kpar_lower_kept_where(lowering, mask, *output, 0, output) : KPAR_OK;
}

KPAR_LAYER(layer_scale)
{
    kpar_weight gamma = {.name = "gamma", .initializer = "init_values", .by_default = "Ones", .rank = 1};
    kpar_value_id terms[2];
    (void)n_inputs;
    KPAR_TRY(kpar_lower_positive(lowering, "projection_dim", 0, &gamma.dims[0]));
    KPAR_TRY(kpar_lower_real(lowering, inputs[0], &terms[0]));
    KPAR_TRY(kpar_lower_weight(lowering, &gamma, &terms[1]));
    return kpar_build_binary(lowering->graph, KPAR_SCALAR_MULTIPLY, terms[0], terms[1], output);
}
