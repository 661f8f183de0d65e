/* Layers that change shape or scale and have no weights. */
#include "model/lower_internal.h"

KPAR_LAYER(identity)
{
    (void)n_inputs;
    kpar_lower_pass_on(lowering, inputs[0], output);
    return KPAR_OK;
}

KPAR_LAYER(flatten)
{
    const kpar_shape *shape = kpar_lower_shape(lowering, inputs[0]);
    kpar_shape flat = {.rank = 2, .dims = {shape->dims[0], {kpar_lower_elements(shape, 1), false}}};
    (void)n_inputs;
    return kpar_build_reshape(lowering->graph, flat, inputs[0], output);
}

/* The shape that target_shape asks for, with its one -1 (if any) filled in. */
static kpar_status target_shape(const kpar_lowering *lowering, kpar_dim rows, int64_t elements,
                                kpar_shape *shape)
{
    const json_t *list = json_object_get(lowering->layer->config, "target_shape");
    const size_t n = json_array_size(list);
    int64_t product = 1;
    int open = 0;
    if (!json_is_array(list) || n + 1 > KPAR_MAX_RANK)
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: argument 'target_shape': expected a list of at most %d numbers",
                         lowering->owner, KPAR_MAX_RANK - 1);
    *shape = (kpar_shape){.rank = (int)n + 1, .dims = {rows}};
    for (size_t i = 0; i < n; i++) {
        const int64_t size = json_integer_value(json_array_get(list, i));
        shape->dims[i + 1].size = size;
        if (size == -1 && open == 0)
            open = (int)i + 1;
        else if (size <= 0 || size > elements)
            return kpar_fail(KPAR_EFORMAT, "%s: argument 'target_shape': dimension %zu is %lld",
                             lowering->owner, i, (long long)size);
        else if ((product *= size) > elements)
            break;
    }
    if (open && product > 0 && elements % product == 0)
        product *= shape->dims[open].size = elements / product;
    if (product == elements) return KPAR_OK;
    return kpar_fail(KPAR_EFORMAT, "%s: argument 'target_shape' does not fit the %lld elements of a sample",
                     lowering->owner, (long long)elements);
}

KPAR_LAYER(reshape)
{
    kpar_shape shape;
    (void)n_inputs;
    const kpar_shape *from = kpar_lower_shape(lowering, inputs[0]);
    KPAR_TRY(target_shape(lowering, from->dims[0], kpar_lower_elements(from, 1), &shape));
    return kpar_build_reshape(lowering->graph, shape, inputs[0], output);
}

/* Argument `key`: a number, or a list of them for the last dimension, as a value that broadcasts. */
static kpar_status scale_argument(kpar_lowering *lowering, const char *key, double fallback,
                                  kpar_value_id *value)
{
    kpar_graph *g = lowering->graph;
    const json_t *config = lowering->layer->config, *list = json_object_get(config, key);
    if (json_is_object(list)) list = json_object_get(json_object_get(list, "config"), "value");
    if (!json_is_array(list)) {
        double number;
        KPAR_TRY(kpar_config_number(lowering->owner, config, key, fallback, &number));
        return kpar_build_constant(g, number, (kpar_shape){.rank = 0}, value);
    }
    const size_t n = json_array_size(list);
    if (json_is_array(json_array_get(list, 0))) return kpar_lower_array(lowering, list, value);
    const kpar_shape one = {.rank = 1, .dims = {{1, false}}};
    kpar_value_id *parts = kpar_arena_alloc(lowering->arena, (n + 1) * sizeof *parts);
    for (size_t i = 0; i < n; i++) {
        const json_t *number = json_array_get(list, i);
        if (!json_is_number(number))
            return kpar_fail(KPAR_EUNSUPPORTED, "%s: argument '%s': expected a number or a list of numbers",
                             lowering->owner, key);
        KPAR_TRY(kpar_build_constant(g, json_number_value(number), one, &parts[i]));
    }
    if (n == 0) return kpar_fail(KPAR_EFORMAT, "%s: argument '%s' is an empty list", lowering->owner, key);
    return kpar_build_concat(g, 0, parts, (int)n, value);
}

KPAR_LAYER(permute)
{
    int permutation[KPAR_MAX_RANK] = {0};
    const json_t *dims = json_object_get(lowering->layer->config, "dims");
    const int rank = kpar_lower_shape(lowering, inputs[0])->rank;
    bool right = (int)json_array_size(dims) == rank - 1;
    (void)n_inputs;
    for (int i = 1; right && i < rank; i++) {
        permutation[i] = (int)json_integer_value(json_array_get(dims, (size_t)i - 1));
        right = permutation[i] >= 1 && permutation[i] < rank;
        for (int k = 1; k < i; k++) right = right && permutation[k] != permutation[i];
    }
    if (!right)
        return kpar_fail(KPAR_EFORMAT, "%s: argument 'dims': expected the numbers 1 to %d in some order",
                         lowering->owner, rank - 1);
    return kpar_build_transpose(lowering->graph, permutation, inputs[0], output);
}

/* Statistics that the layer was adapted to are weights, as is the number of batches that they were taken of. */
static kpar_status adapted(kpar_lowering *lowering, unsigned axes, const kpar_shape *x, kpar_value_id *mean,
                           kpar_value_id *variance)
{
    kpar_weight weight = {.name = "mean", .by_default = "Zeros", .frozen = true};
    kpar_value_id count;
    for (int i = 1; i < x->rank; i++)
        if (axes >> i & 1) weight.dims[weight.rank++] = x->dims[i].size;
    KPAR_TRY(kpar_lower_weight(lowering, &weight, mean));
    weight.name = "variance";
    weight.by_default = "Ones";
    KPAR_TRY(kpar_lower_weight(lowering, &weight, variance));
    weight = (kpar_weight){.name = "count", .by_default = "Zeros", .frozen = true, .whole = true};
    KPAR_TRY(kpar_lower_weight(lowering, &weight, &count));
    if (lowering->mode == KPAR_MODE_TRAIN) kpar_graph_set_state(lowering->graph, count, count);
    return KPAR_OK;
}

/* Statistics along the last of the dimensions `axes`, so that they broadcast to x. */
static kpar_status along_axes(kpar_lowering *lowering, unsigned axes, const kpar_shape *x,
                              kpar_value_id *value)
{
    const kpar_shape *shape = kpar_lower_shape(lowering, *value), one = kpar_lower_kept(*x, ~axes);
    kpar_shape along = kpar_lower_kept(*x, KPAR_ALL_AXES);
    char found[KPAR_SHAPE_TEXT], expected[KPAR_SHAPE_TEXT];
    int left = shape->rank;
    bool fit = true;
    if (left == 0) return KPAR_OK;
    for (int i = x->rank - 1; i > 0 && left > 0; i--)
        if (axes >> i & 1) {
            along.dims[i].size = shape->dims[--left].size;
            fit = fit && (along.dims[i].size == 1 || along.dims[i].size == x->dims[i].size);
        }
    if (fit && left == 0) return kpar_build_reshape(lowering->graph, along, *value, value);
    return kpar_fail(KPAR_EFORMAT,
                     "%s: expected statistics that fit %s along argument 'axis', found shape %s",
                     lowering->owner, kpar_shape_format(expected, &one), kpar_shape_format(found, shape));
}

/* (x - mean) / max(sqrt(variance), 1e-7) or its inverse, with statistics that the config holds or that are weights. */
KPAR_LAYER(normalization)
{
    const json_t *config = lowering->layer->config, *mean = json_object_get(config, "mean"),
                 *axis = json_object_get(config, "axis");
    unsigned axes = 0;
    kpar_value_id terms[3];
    const kpar_shape x = *kpar_lower_shape(lowering, inputs[0]);
    (void)n_inputs;
    bool invert;
    const bool none = !axis || json_is_null(axis) || (json_is_array(axis) && json_array_size(axis) == 0);
    if (!none) KPAR_TRY(kpar_lower_axes(lowering, x.rank, &axes));
    KPAR_TRY(kpar_config_boolean(lowering->owner, config, "invert", false, &invert));
    KPAR_TRY(kpar_lower_real(lowering, inputs[0], &terms[0]));
    if (!mean || json_is_null(mean))
        KPAR_TRY(adapted(lowering, axes, &x, &terms[1], &terms[2]));
    else {
        KPAR_TRY(scale_argument(lowering, "mean", 0, &terms[1]));
        KPAR_TRY(scale_argument(lowering, "variance", 1, &terms[2]));
    }
    for (int i = 1; i < 3; i++) KPAR_TRY(along_axes(lowering, axes, &x, &terms[i]));
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x deviation = kpar_x_max(e, kpar_x_sqrt(e, kpar_x_input(e, 2)), kpar_x_constant(e, 1e-7));
    kpar_x given = kpar_x_input(e, 0), center = kpar_x_input(e, 1);
    kpar_x y = invert ? kpar_x_add(e, center, kpar_x_mul(e, given, deviation))
                      : kpar_x_div(e, kpar_x_sub(e, given, center), deviation);
    return kpar_lower_apply(lowering, e, y, terms, 3, output);
}

KPAR_LAYER(rescaling)
{
    kpar_value_id terms[3];
    (void)n_inputs;
    KPAR_TRY(kpar_lower_real(lowering, inputs[0], &terms[0]));
    KPAR_TRY(scale_argument(lowering, "scale", 1, &terms[1]));
    KPAR_TRY(scale_argument(lowering, "offset", 0, &terms[2]));
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x y = kpar_x_add(e, kpar_x_mul(e, kpar_x_input(e, 0), kpar_x_input(e, 1)), kpar_x_input(e, 2));
    return kpar_lower_apply(lowering, e, y, terms, 3, output);
}
