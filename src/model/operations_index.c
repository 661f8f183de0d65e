/* Operations that pick elements by numbers: x[indices], take, one-hot, and numbers of intervals. */
#include "model/operations.h"

#include <string.h>

/* --- x[indices] --- */

/* The bound of a slice, counted from the end if negative; null: `otherwise`. */
static int64_t slice_bound(const json_t *bound, int64_t low, int64_t high, int64_t size, int64_t otherwise)
{
    if (!json_is_integer(bound)) return otherwise;
    const int64_t at = json_integer_value(bound) + (json_integer_value(bound) < 0 ? size : 0);
    return at < low ? low : at > high ? high : at;
}

static kpar_status take_slice(kpar_lowering *lowering, const json_t *slice, int dim, kpar_value_id *x)
{
    const int64_t size = kpar_lower_shape(lowering, *x)->dims[dim].size;
    const json_t *given = json_object_get(slice, "step"), *first = json_object_get(slice, "start"),
                 *last = json_object_get(slice, "stop");
    const int64_t step = json_is_integer(given) ? json_integer_value(given) : 1;
    const int64_t start =
        step > 0 ? slice_bound(first, 0, size, size, 0) : slice_bound(first, -1, size - 1, size, size - 1);
    const int64_t stop =
        step > 0 ? slice_bound(last, 0, size, size, size) : slice_bound(last, -1, size - 1, size, -1);
    if (step == 0 || (step > 0 ? start >= stop : start <= stop))
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: slice %lld to %lld with step %lld of a dimension of %lld",
                         lowering->owner, (long long)start, (long long)stop, (long long)step,
                         (long long)size);
    const int64_t n = step > 0 ? (stop - start + step - 1) / step : (start - stop - step - 1) / -step;
    int64_t *numbers = kpar_arena_alloc(lowering->arena, (size_t)n * sizeof *numbers);
    for (int64_t i = 0; i < n; i++) numbers[i] = start + i * step;
    return kpar_lower_pick(lowering, dim, numbers, n, *x, x);
}

static bool is_whole(const json_t *slice)
{
    const json_t *step = json_object_get(slice, "step");
    return json_is_null(json_object_get(slice, "start")) && json_is_null(json_object_get(slice, "stop")) &&
           (json_is_null(step) || json_integer_value(step) == 1);
}

static kpar_status pick_one(kpar_lowering *lowering, int64_t number, int dim, kpar_value_id *x)
{
    const int64_t size = kpar_lower_shape(lowering, *x)->dims[dim].size,
                  at = number + (number < 0 ? size : 0);
    if (at < 0 || at >= size)
        return kpar_fail(KPAR_EFORMAT, "%s: index %lld of a dimension of %lld", lowering->owner,
                         (long long)number, (long long)size);
    KPAR_TRY(kpar_lower_cut(lowering, dim, at, at + 1, *x, x));
    return kpar_lower_drop(lowering, dim, *x, x);
}

/* One element of an index: a number drops its dimension, a slice cuts it, null adds one, an ellipsis passes over `passed`.
 * *dim: the dimension it is for, then the next. */
static kpar_status index_dimension(kpar_lowering *lowering, const json_t *index, int passed, int *dim,
                                   kpar_value_id *x)
{
    const bool slice = kpar_operand_is(index, "__slice__");
    const json_t *config = json_object_get(index, "config");
    if (json_is_null(index)) return kpar_lower_insert(lowering, (*dim)++, *x, x);
    if (kpar_operand_is(index, "__ellipsis__") || (slice && is_whole(config))) {
        *dim += slice ? 1 : passed;
        return KPAR_OK;
    }
    if (*dim == 0 || *dim >= kpar_lower_shape(lowering, *x)->rank || (!slice && !json_is_integer(index)))
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: supported indices are numbers, slices, null and ..., after the whole batch",
                         lowering->owner);
    if (slice) return take_slice(lowering, config, (*dim)++, x);
    return pick_one(lowering, json_integer_value(index), *dim, x);
}

static KPAR_OPERATION(get_item)
{
    const json_t *indices = kpar_operand_json(lowering, 1, "key"), *index;
    int dim = 0, named = 0;
    size_t i;
    (void)n_inputs;
    KPAR_TRY(kpar_operand_given(lowering, inputs, 0, output));
    json_array_foreach(indices, i, index) named +=
        !json_is_null(index) && !kpar_operand_is(index, "__ellipsis__");
    const int passed = kpar_lower_shape(lowering, *output)->rank - named;
    if (!json_is_array(indices)) return index_dimension(lowering, indices, passed, &dim, output);
    json_array_foreach(indices, i, index) KPAR_TRY(index_dimension(lowering, index, passed, &dim, output));
    return KPAR_OK;
}

/* --- by numbers --- */

/* Numbers below 0 count from the end. */
static kpar_status from_the_end(kpar_lowering *lowering, int64_t n, kpar_value_id *numbers)
{
    KPAR_TRY(kpar_lower_real(lowering, *numbers, numbers));
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x at = kpar_x_input(e, 0), moved = kpar_x_add(e, at, kpar_x_constant(e, (double)n));
    kpar_x y = kpar_x_select(e, kpar_x_lt(e, at, kpar_x_constant(e, 0)), moved, at);
    return kpar_lower_apply(lowering, e, y, numbers, 1, numbers);
}

/* Dimension `axis` of any tensor, also the first of one that has no batch. */
static kpar_status read_axis(kpar_lowering *lowering, const kpar_shape *shape, int *dim)
{
    int64_t axis;
    KPAR_TRY(kpar_config_integer(lowering->owner, lowering->layer->config, "axis",
                                 shape->rank == 1 ? 0 : shape->rank, &axis));
    *dim = (int)(axis < 0 ? axis + shape->rank : axis);
    if (*dim >= 0 && *dim < shape->rank && !shape->dims[*dim].batch) return KPAR_OK;
    return kpar_fail(KPAR_EUNSUPPORTED, "%s: argument 'axis': expected a dimension that is not the batch",
                     lowering->owner);
}

static KPAR_OPERATION(take)
{
    const json_t *numbers = kpar_operand_array(kpar_operand_json(lowering, 1, NULL));
    kpar_value_id x, places;
    int dim;
    (void)n_inputs;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, &x));
    const kpar_shape shape = *kpar_lower_shape(lowering, x);
    KPAR_TRY(read_axis(lowering, &shape, &dim));
    *output = x;
    if (json_is_integer(numbers)) return pick_one(lowering, json_integer_value(numbers), dim, output);
    KPAR_TRY(kpar_operand(lowering, inputs, 1, &places));
    if (shape.dims[0].batch && !numbers)
        return kpar_fail(
            KPAR_EUNSUPPORTED,
            "%s: takes elements of one tensor by another; take_along_axis does that for each sample",
            lowering->owner);
    KPAR_TRY(from_the_end(lowering, shape.dims[dim].size, &places));
    return kpar_lower_take(lowering, dim, x, places, output);
}

/* Along a dimension, of x the element whose number stands at this place: a sum over all, of which one counts. */
static KPAR_OPERATION(take_along_axis)
{
    kpar_value_id x, places, picked;
    int dim;
    (void)n_inputs;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, &x));
    KPAR_TRY(kpar_operand(lowering, inputs, 1, &places));
    const kpar_shape shape = *kpar_lower_shape(lowering, x);
    const int last = shape.rank - 1;
    KPAR_TRY(kpar_operation_axis(lowering, "axis", 0, shape.rank, &dim));
    if (kpar_lower_shape(lowering, places)->rank != shape.rank)
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: expected as many dimensions of the numbers as of the tensor, %d",
                         lowering->owner, shape.rank);
    KPAR_TRY(kpar_lower_move(lowering, dim, last, x, &x));
    KPAR_TRY(kpar_lower_move(lowering, dim, last, places, &places));
    KPAR_TRY(from_the_end(lowering, shape.dims[dim].size, &places));
    KPAR_TRY(kpar_lower_one_hot(lowering, places, shape.dims[dim].size, &picked));
    KPAR_TRY(kpar_lower_insert(lowering, last, x, &x));
    KPAR_TRY(kpar_lower_kept_where(lowering, picked, x, 0, output));
    KPAR_TRY(kpar_lower_sum_last(lowering, false, *output, output));
    return kpar_lower_move(lowering, last, dim, *output, output);
}

/* Argument 'num_classes' of numbers (batch, ...), and the place of the classes among the result's dimensions. */
static kpar_status one_hot_of(kpar_lowering *lowering, const kpar_value_id *inputs, kpar_value_id *output,
                              int *dim)
{
    kpar_value_id numbers;
    int64_t classes;
    KPAR_TRY(kpar_operand_given(lowering, inputs, 0, &numbers));
    KPAR_TRY(kpar_lower_positive(lowering, "num_classes", 0, &classes));
    const int rank = kpar_lower_shape(lowering, numbers)->rank;
    KPAR_TRY(kpar_operation_axis(lowering, "axis", -1, rank + 1, dim));
    KPAR_TRY(kpar_build_cast(lowering->graph, KPAR_I32, numbers, &numbers));
    KPAR_TRY(kpar_lower_one_hot(lowering, numbers, classes, output));
    return kpar_lower_move(lowering, rank, *dim, *output, output);
}

static KPAR_OPERATION(one_hot)
{
    int dim;
    (void)n_inputs;
    return one_hot_of(lowering, inputs, output, &dim);
}

/* 1 for each class that is among the numbers of dimension 1. */
static KPAR_OPERATION(multi_hot)
{
    int dim;
    (void)n_inputs;
    KPAR_TRY(one_hot_of(lowering, inputs, output, &dim));
    if (kpar_lower_shape(lowering, *output)->rank < 3)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: expected several numbers for each sample", lowering->owner);
    return kpar_lower_reduce(lowering, KPAR_REDUCE_MAX, 1u << 1, false, *output, output);
}

/* --- among given numbers --- */

kpar_status kpar_lower_count_bounds(kpar_lowering *lowering, kpar_value_id x, kpar_value_id bounds,
                                    bool below, kpar_value_id *out)
{
    kpar_value_id terms[2] = {x, bounds};
    KPAR_TRY(kpar_lower_insert(lowering, kpar_lower_shape(lowering, x)->rank, x, &terms[0]));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x at = kpar_x_input(e, 0), bound = kpar_x_input(e, 1);
    kpar_x counts = below ? kpar_x_lt(e, bound, at) : kpar_x_le(e, bound, at);
    KPAR_TRY(kpar_lower_apply(lowering, e, counts, terms, 2, out));
    KPAR_TRY(kpar_lower_sum_last(lowering, false, *out, out));
    return kpar_build_cast(lowering->graph, KPAR_I32, *out, out);
}

static KPAR_OPERATION(interval)
{
    kpar_value_id x, bounds;
    (void)n_inputs;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, &x));
    KPAR_TRY(kpar_operand(lowering, inputs, 1, &bounds));
    return kpar_lower_count_bounds(lowering, x, bounds, false, output);
}

/* Where in a sorted sequence the value would stand: before what is equal to it, or behind. */
static KPAR_OPERATION(place_in_sorted)
{
    const char *side;
    kpar_value_id bounds, x;
    (void)n_inputs;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, &bounds));
    KPAR_TRY(kpar_operand(lowering, inputs, 1, &x));
    KPAR_TRY(kpar_config_string(lowering->owner, lowering->layer->config, "side", "left", &side));
    const kpar_shape *shape = kpar_lower_shape(lowering, bounds);
    if (shape->rank != 1 || shape->dims[0].batch)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: expected the sorted sequence as a list of numbers",
                         lowering->owner);
    return kpar_lower_count_bounds(lowering, x, bounds, strcmp(side, "left") == 0, output);
}

static const kpar_layer_row rows[] = {
    {"GetItem", "x[indices]", "", "", .lower = get_item},
    {"Take", "elements of a dimension by their numbers", "axis", "", .lower = take},
    {"TakeAlongAxis", "of each line along a dimension the elements with these numbers", "axis", "",
     .lower = take_along_axis},
    {"OneHot", "1 in the place that the number says", "num_classes axis dtype", "sparse=false",
     .lower = one_hot},
    {"MultiHot", "1 in all places that the numbers of a sample say", "num_classes axis dtype", "sparse=false",
     .lower = multi_hot},
    {"SearchSorted", "the place in a sorted sequence", "side", "", .lower = place_in_sorted},
    {"Digitize", "the number of the interval between given bounds", "", "", .lower = interval},
};

const kpar_operation_table kpar_operations_of_index = KPAR_OPERATION_TABLE(rows);
