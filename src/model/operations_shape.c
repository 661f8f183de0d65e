/* Operations that change shapes, put tensors together or take them apart. */
#include "model/operations.h"

/* --- one tensor --- */

static KPAR_OPERATION(reshape)
{
    kpar_value_id x;
    (void)n_inputs;
    KPAR_TRY(kpar_operand_given(lowering, inputs, 0, &x));
    const json_t *list = json_object_get(lowering->layer->config, "newshape");
    const int64_t elements = kpar_lower_elements(kpar_lower_shape(lowering, x), 1);
    kpar_shape shape = {.rank = (int)json_array_size(list), .dims = {kpar_lower_shape(lowering, x)->dims[0]}};
    int64_t product = 1;
    int open = 0;
    if (shape.rank < 1 || shape.rank > KPAR_MAX_RANK || json_integer_value(json_array_get(list, 0)) > 0)
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: argument 'newshape': expected -1 for the batch and at most %d numbers",
                         lowering->owner, KPAR_MAX_RANK - 1);
    for (int i = 1; i < shape.rank; i++) {
        shape.dims[i].size = json_integer_value(json_array_get(list, (size_t)i));
        if (shape.dims[i].size == -1)
            open = i;
        else
            product *= shape.dims[i].size;
    }
    if (open && product > 0) product *= shape.dims[open].size = elements / product;
    if (product != elements)
        return kpar_fail(KPAR_EFORMAT, "%s: argument 'newshape' does not fit the %lld elements of a sample",
                         lowering->owner, (long long)elements);
    return kpar_build_reshape(lowering->graph, shape, x, output);
}

static KPAR_OPERATION(transpose)
{
    kpar_value_id x;
    int permutation[KPAR_MAX_RANK] = {0};
    (void)n_inputs;
    KPAR_TRY(kpar_operand_given(lowering, inputs, 0, &x));
    const json_t *axes = json_object_get(lowering->layer->config, "axes");
    const int rank = kpar_lower_shape(lowering, x)->rank;
    if ((int)json_array_size(axes) != rank || json_integer_value(json_array_get(axes, 0)) != 0)
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: argument 'axes': expected 0 and the %d dimensions after the batch",
                         lowering->owner, rank - 1);
    for (int i = 1; i < rank; i++)
        KPAR_TRY(kpar_lower_dim(lowering, json_integer_value(json_array_get(axes, (size_t)i)), rank,
                                &permutation[i]));
    return kpar_build_transpose(lowering->graph, permutation, x, output);
}

static KPAR_OPERATION(swap_axes)
{
    kpar_value_id x;
    int a, b, permutation[KPAR_MAX_RANK];
    (void)n_inputs;
    KPAR_TRY(kpar_operand_given(lowering, inputs, 0, &x));
    const int rank = kpar_lower_shape(lowering, x)->rank;
    KPAR_TRY(kpar_operation_axis(lowering, "axis1", 1, rank, &a));
    KPAR_TRY(kpar_operation_axis(lowering, "axis2", 2, rank, &b));
    for (int i = 0; i < rank; i++) permutation[i] = i == a ? b : i == b ? a : i;
    return kpar_build_transpose(lowering->graph, permutation, x, output);
}

/* Dimensions `source` come to stand at `destination`, the others in the places that are left. */
static KPAR_OPERATION(move_axes)
{
    const json_t *source = json_object_get(lowering->layer->config, "source");
    const json_t *destination = json_object_get(lowering->layer->config, "destination");
    kpar_value_id x;
    int permutation[KPAR_MAX_RANK] = {0}, from, to;
    unsigned moved = 1, taken = 1;
    (void)n_inputs;
    KPAR_TRY(kpar_operand_given(lowering, inputs, 0, &x));
    const int rank = kpar_lower_shape(lowering, x)->rank;
    const size_t n = json_is_array(source) ? json_array_size(source) : 1;
    for (size_t i = 0; i < n; i++) {
        KPAR_TRY(kpar_lower_dim(lowering, kpar_operation_entry(source, i), rank, &from));
        KPAR_TRY(kpar_lower_dim(lowering, kpar_operation_entry(destination, i), rank, &to));
        permutation[to] = from;
        moved |= 1u << from;
        taken |= 1u << to;
    }
    for (int i = 0, k = 0; i < rank; i++) {
        if (taken >> i & 1) continue;
        while (moved >> k & 1) k++;
        permutation[i] = k++;
    }
    return kpar_build_transpose(lowering->graph, permutation, x, output);
}

/* Dimensions of 1, in the places that 'axis' says of the result. */
static KPAR_OPERATION(expand_dims)
{
    const json_t *axis = json_object_get(lowering->layer->config, "axis");
    const size_t n = json_is_array(axis) ? json_array_size(axis) : 1;
    unsigned places = 0;
    int dim;
    (void)n_inputs;
    KPAR_TRY(kpar_operand_given(lowering, inputs, 0, output));
    const int rank = kpar_lower_shape(lowering, *output)->rank + (int)n;
    for (size_t i = 0; i < n; i++) {
        KPAR_TRY(kpar_lower_dim(lowering, kpar_operation_entry(axis, i), rank, &dim));
        places |= 1u << dim;
    }
    for (int i = 0; i < rank; i++)
        if (places >> i & 1) KPAR_TRY(kpar_lower_insert(lowering, i, *output, output));
    return KPAR_OK;
}

static KPAR_OPERATION(squeeze)
{
    kpar_value_id x;
    unsigned axes = 0;
    const json_t *axis = json_object_get(lowering->layer->config, "axis");
    (void)n_inputs;
    KPAR_TRY(kpar_operand_given(lowering, inputs, 0, &x));
    const kpar_shape from = *kpar_lower_shape(lowering, x);
    kpar_shape shape = {.rank = 0};
    if (axis && !json_is_null(axis)) KPAR_TRY(kpar_lower_axes(lowering, from.rank, &axes));
    for (int i = 0; i < from.rank; i++) {
        const bool one = from.dims[i].size == 1 && !from.dims[i].batch;
        if ((axes >> i & 1) && !one)
            return kpar_fail(KPAR_EFORMAT, "%s: argument 'axis': dimension %d is not of size 1",
                             lowering->owner, i);
        if (!one || (axes && !(axes >> i & 1))) shape.dims[shape.rank++] = from.dims[i];
    }
    return kpar_build_reshape(lowering->graph, shape, x, output);
}

/* --- several tensors --- */

static kpar_status join(kpar_lowering *lowering, int64_t axis, const kpar_value_id *inputs, int n_inputs,
                        kpar_value_id *output)
{
    int dim;
    kpar_value_id *parts = kpar_arena_alloc(lowering->arena, ((size_t)n_inputs + 1) * sizeof *parts);
    for (int i = 0; i < n_inputs; i++) KPAR_TRY(kpar_lower_real(lowering, inputs[i], &parts[i]));
    KPAR_TRY(kpar_lower_dim(lowering, axis, kpar_lower_shape(lowering, inputs[0])->rank, &dim));
    return kpar_build_concat(lowering->graph, dim, parts, n_inputs, output);
}

static KPAR_OPERATION(concatenate)
{
    int64_t axis;
    KPAR_TRY(kpar_config_integer(lowering->owner, lowering->layer->config, "axis", 0, &axis));
    return join(lowering, axis, inputs, n_inputs, output);
}

static KPAR_OPERATION(join_columns) { return join(lowering, 1, inputs, n_inputs, output); }

static KPAR_OPERATION(join_depth)
{
    kpar_value_id *deep = kpar_arena_alloc(lowering->arena, ((size_t)n_inputs + 1) * sizeof *deep);
    for (int i = 0; i < n_inputs; i++) {
        deep[i] = inputs[i];
        if (kpar_lower_shape(lowering, inputs[i])->rank == 2)
            KPAR_TRY(kpar_lower_insert(lowering, 2, inputs[i], &deep[i]));
    }
    return join(lowering, 2, deep, n_inputs, output);
}

static KPAR_OPERATION(stack)
{
    int dim;
    kpar_value_id *parts = kpar_arena_alloc(lowering->arena, ((size_t)n_inputs + 1) * sizeof *parts);
    KPAR_TRY(kpar_operation_axis(lowering, "axis", 0, kpar_lower_shape(lowering, inputs[0])->rank + 1, &dim));
    for (int i = 0; i < n_inputs; i++) KPAR_TRY(kpar_lower_insert(lowering, dim, inputs[i], &parts[i]));
    return join(lowering, dim, parts, n_inputs, output);
}

/* --- taken apart --- */

/* Sections of dimension `dim`: as many alike, with one element more in the first if `uneven`, or between given bounds. */
static kpar_status split_at(kpar_lowering *lowering, int dim, bool uneven, kpar_value_id x,
                            kpar_value_id *output)
{
    const json_t *sections = json_object_get(lowering->layer->config, "indices_or_sections");
    const bool bounds = json_is_array(sections);
    const int64_t size = kpar_lower_shape(lowering, x)->dims[dim].size;
    const int64_t n = bounds ? (int64_t)json_array_size(sections) + 1 : json_integer_value(sections);
    if (n < 1 || n > KPAR_CALL_OUTPUTS || (!bounds && !uneven && size % n != 0) || (!bounds && n > size))
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: expected at most %d sections that divide %lld",
                         lowering->owner, KPAR_CALL_OUTPUTS, (long long)size);
    for (int64_t i = 0, start = 0, stop; i < n; i++, start = stop) {
        stop = start + size / n + (i < size % n);
        if (bounds) stop = i < n - 1 ? kpar_operation_entry(sections, (size_t)i) : size;
        KPAR_TRY(kpar_lower_cut(lowering, dim, start, stop, x, &output[i]));
    }
    return KPAR_OK;
}

static kpar_status split_along(kpar_lowering *lowering, const kpar_value_id *inputs, int64_t axis,
                               bool uneven, kpar_value_id *output)
{
    kpar_value_id x;
    int dim;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, &x));
    KPAR_TRY(kpar_lower_dim(lowering, axis, kpar_lower_shape(lowering, x)->rank, &dim));
    return split_at(lowering, dim, uneven, x, output);
}

static KPAR_OPERATION(split)
{
    int64_t axis;
    (void)n_inputs;
    KPAR_TRY(kpar_config_integer(lowering->owner, lowering->layer->config, "axis", 0, &axis));
    return split_along(lowering, inputs, axis, false, output);
}

static KPAR_OPERATION(split_unevenly)
{
    int64_t axis;
    (void)n_inputs;
    KPAR_TRY(kpar_config_integer(lowering->owner, lowering->layer->config, "axis", 0, &axis));
    return split_along(lowering, inputs, axis, true, output);
}

static KPAR_OPERATION(split_columns)
{
    (void)n_inputs;
    return split_along(lowering, inputs, 1, false, output);
}

static KPAR_OPERATION(split_depth)
{
    (void)n_inputs;
    return split_along(lowering, inputs, 2, false, output);
}

static KPAR_OPERATION(unstack)
{
    kpar_value_id x;
    int dim;
    (void)n_inputs;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, &x));
    KPAR_TRY(kpar_operation_axis(lowering, "axis", 0, kpar_lower_shape(lowering, x)->rank, &dim));
    const int64_t n = kpar_lower_shape(lowering, x)->dims[dim].size;
    if (n > KPAR_CALL_OUTPUTS)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: dimension %d has %lld elements; supported are up to %d",
                         lowering->owner, dim, (long long)n, KPAR_CALL_OUTPUTS);
    for (int64_t i = 0; i < n; i++) {
        KPAR_TRY(kpar_lower_cut(lowering, dim, i, i + 1, x, &output[i]));
        KPAR_TRY(kpar_lower_drop(lowering, dim, output[i], &output[i]));
    }
    return KPAR_OK;
}

static const kpar_layer_row rows[] = {
    {"Reshape", "another shape for each sample", "newshape", "", .lower = reshape},
    {"Transpose", "dimensions in another order", "axes", "", .lower = transpose},
    {"Swapaxes", "two dimensions, each in the other's place", "axis1 axis2", "", .lower = swap_axes},
    {"Moveaxis", "dimensions in other places", "source destination", "", .lower = move_axes},
    {"ExpandDims", "dimensions of 1", "axis", "", .lower = expand_dims},
    {"Squeeze", "without dimensions of 1", "axis", "", .lower = squeeze},
    {"Stack", "inputs along a new dimension", "axis", "", .lower = stack},
    {"Concatenate", "inputs side by side", "axis", "", .lower = concatenate},
    {"Append", "two inputs side by side", "axis", "", .lower = concatenate},
    {"Hstack", "inputs side by side along dimension 1", "", "", .lower = join_columns},
    {"Dstack", "inputs side by side along dimension 2", "", "", .lower = join_depth},
    {"Split", "parts of a dimension", "indices_or_sections axis", "", .lower = split},
    {"ArraySplit", "parts of a dimension, as even as can be", "indices_or_sections axis", "",
     .lower = split_unevenly},
    {"Hsplit", "parts of dimension 1", "indices_or_sections", "", .lower = split_columns},
    {"Dsplit", "parts of dimension 2", "indices_or_sections", "", .lower = split_depth},
    {"Unstack", "elements of a dimension", "num axis", "", .lower = unstack},
};

const kpar_operation_table kpar_operations_of_shape = KPAR_OPERATION_TABLE(rows);
