/* Operations that tell elements of a dimension by their size: places of the largest, the largest, all in order. */
#include "model/operations.h"

#include <float.h>

static kpar_status place_of_largest(kpar_lowering *lowering, const kpar_value_id *inputs, bool negated,
                                    kpar_value_id *output)
{
    kpar_value_id x;
    int dim;
    bool keep;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, &x));
    KPAR_TRY(kpar_operation_has_axis(lowering, "axis"));
    KPAR_TRY(kpar_config_boolean(lowering->owner, lowering->layer->config, "keepdims", false, &keep));
    KPAR_TRY(kpar_operation_axis(lowering, "axis", -1, kpar_lower_shape(lowering, x)->rank, &dim));
    if (negated) KPAR_TRY(kpar_build_unary(lowering->graph, KPAR_SCALAR_NEGATE, x, &x));
    KPAR_TRY(kpar_build_arg_reduce(lowering->graph, dim, x, output));
    return keep ? kpar_lower_insert(lowering, dim, *output, output) : KPAR_OK;
}

static KPAR_OPERATION(arg_max)
{
    (void)n_inputs;
    return place_of_largest(lowering, inputs, false, output);
}

static KPAR_OPERATION(arg_min)
{
    (void)n_inputs;
    return place_of_largest(lowering, inputs, true, output);
}

kpar_status kpar_lower_take_largest(kpar_lowering *lowering, kpar_value_id *left, kpar_value_id *number,
                                    kpar_value_id *picked)
{
    const kpar_shape *shape = kpar_lower_shape(lowering, *left);
    const int last = shape->rank - 1;
    const int64_t n = shape->dims[last].size;
    KPAR_TRY(kpar_build_arg_reduce(lowering->graph, last, *left, number));
    KPAR_TRY(kpar_lower_one_hot(lowering, *number, n, picked));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x others = kpar_x_select(e, kpar_x_input(e, 1), kpar_x_constant(e, -FLT_MAX), kpar_x_input(e, 0));
    return kpar_lower_apply(lowering, e, others, (kpar_value_id[]){*left, *picked}, 2, left);
}

/* Of the last dimension the k largest elements and their numbers, the largest first: one after the other, each of those that
 * are left. */
static kpar_status largest_of_last(kpar_lowering *lowering, int64_t k, kpar_value_id x, kpar_value_id *values,
                                   kpar_value_id *numbers)
{
    enum { MOST = 64 };
    kpar_graph *g = lowering->graph;
    const int last = kpar_lower_shape(lowering, x)->rank - 1;
    const int64_t n = kpar_lower_shape(lowering, x)->dims[last].size;
    kpar_value_id value[MOST], number[MOST], picked, left = x;
    if (k < 1 || k > n || k > MOST)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: %lld elements in order of %lld; supported are up to %d",
                         lowering->owner, (long long)k, (long long)n, MOST);
    for (int64_t i = 0; i < k; i++) {
        KPAR_TRY(kpar_lower_take_largest(lowering, &left, &number[i], &picked));
        KPAR_TRY(kpar_lower_kept_where(lowering, picked, x, 0, &value[i]));
        KPAR_TRY(kpar_lower_sum_last(lowering, true, value[i], &value[i]));
        KPAR_TRY(kpar_lower_insert(lowering, last, number[i], &number[i]));
    }
    KPAR_TRY(kpar_build_concat(g, last, value, (int)k, values));
    return kpar_build_concat(g, last, number, (int)k, numbers);
}

static KPAR_OPERATION(top_k)
{
    int64_t k;
    kpar_value_id x;
    (void)n_inputs;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, &x));
    KPAR_TRY(kpar_config_integer(lowering->owner, lowering->layer->config, "k", 1, &k));
    return largest_of_last(lowering, k, x, &output[0], &output[1]);
}

/* All elements of dimension `dim`, the smallest first: the largest of their negatives. */
static kpar_status sorted(kpar_lowering *lowering, int dim, kpar_value_id x, kpar_value_id *values,
                          kpar_value_id *numbers)
{
    kpar_graph *g = lowering->graph;
    const kpar_shape *shape = kpar_lower_shape(lowering, x);
    const int last = shape->rank - 1;
    const int64_t n = shape->dims[dim].size;
    KPAR_TRY(kpar_lower_move(lowering, dim, last, x, &x));
    KPAR_TRY(kpar_build_unary(g, KPAR_SCALAR_NEGATE, x, &x));
    KPAR_TRY(largest_of_last(lowering, n, x, values, numbers));
    KPAR_TRY(kpar_build_unary(g, KPAR_SCALAR_NEGATE, *values, values));
    KPAR_TRY(kpar_lower_move(lowering, last, dim, *values, values));
    return kpar_lower_move(lowering, last, dim, *numbers, numbers);
}

static kpar_status read_sorted(kpar_lowering *lowering, const kpar_value_id *inputs, int *dim,
                               kpar_value_id *values, kpar_value_id *numbers)
{
    kpar_value_id x;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, &x));
    KPAR_TRY(kpar_operation_has_axis(lowering, "axis"));
    KPAR_TRY(kpar_operation_axis(lowering, "axis", -1, kpar_lower_shape(lowering, x)->rank, dim));
    return sorted(lowering, *dim, x, values, numbers);
}

static KPAR_OPERATION(sort)
{
    int dim;
    kpar_value_id numbers;
    (void)n_inputs;
    return read_sorted(lowering, inputs, &dim, output, &numbers);
}

static KPAR_OPERATION(arg_sort)
{
    int dim;
    kpar_value_id values;
    (void)n_inputs;
    return read_sorted(lowering, inputs, &dim, &values, output);
}

/* The element in the middle, or the mean of two. */
static KPAR_OPERATION(median)
{
    int dim;
    bool keep;
    kpar_value_id values, numbers;
    (void)n_inputs;
    if (json_array_size(json_object_get(lowering->layer->config, "axis")) > 1)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: argument 'axis': supported is one dimension",
                         lowering->owner);
    KPAR_TRY(kpar_config_boolean(lowering->owner, lowering->layer->config, "keepdims", false, &keep));
    KPAR_TRY(read_sorted(lowering, inputs, &dim, &values, &numbers));
    const int64_t n = kpar_lower_shape(lowering, values)->dims[dim].size;
    KPAR_TRY(kpar_lower_cut(lowering, dim, (n - 1) / 2, n / 2 + 1, values, &values));
    return kpar_lower_mean(lowering, 1u << dim, keep, values, output);
}

static const kpar_layer_row rows[] = {
    {"Argmax", "number of the largest element of a dimension", "axis keepdims", "", .lower = arg_max},
    {"Argmin", "number of the smallest element of a dimension", "axis keepdims", "", .lower = arg_min},
    {"TopK", "the k largest elements of the last dimension and their numbers", "k sorted", "",
     .lower = top_k},
    {"Sort", "elements of a dimension, the smallest first", "axis", "", .lower = sort},
    {"Argsort", "their numbers in that order", "axis", "", .lower = arg_sort},
    {"Median", "the element in the middle of a dimension", "axis keepdims", "", .lower = median},
};

const kpar_operation_table kpar_operations_of_order = KPAR_OPERATION_TABLE(rows);
