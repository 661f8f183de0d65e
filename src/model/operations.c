/* Operations on tensors (keras.ops), a row each. Their operands stand in the call's arguments, where layers have inputs:
 * outputs of other calls, numbers, and arrays that the config holds. */
#include "model/lower_internal.h"

#include <string.h>

static kpar_x constant(kpar_expression_builder *e, double value) { return kpar_x_constant(e, value); }

/* --- operands --- */

static bool is_class(const json_t *value, const char *name)
{
    const char *class_name = json_string_value(json_object_get(value, "class_name"));
    return class_name && strcmp(class_name, name) == 0;
}

/* Tensors among an argument, which are the call's inputs in order. */
static int count_tensors(const json_t *value)
{
    int n = is_class(value, "__keras_tensor__");
    for (size_t i = 0; json_is_array(value) && i < json_array_size(value); i++)
        n += count_tensors(json_array_get(value, i));
    return n;
}

static const json_t *argument(const kpar_lowering *lowering, int number)
{
    return json_array_get(lowering->model->calls[lowering->call].args, (size_t)number);
}

static kpar_status operand(kpar_lowering *lowering, const kpar_value_id *inputs, int number,
                           kpar_value_id *value)
{
    const json_t *json = argument(lowering, number);
    int before = 0;
    for (int i = 0; i < number; i++) before += count_tensors(argument(lowering, i));
    if (is_class(json, "__keras_tensor__")) return kpar_lower_real(lowering, inputs[before], value);
    if (is_class(json, "__tensor__"))
        return kpar_lower_array(lowering, json_object_get(json_object_get(json, "config"), "value"), value);
    if (json_is_number(json) || json_is_boolean(json)) {
        const double given = json_is_number(json) ? json_number_value(json) : (double)json_is_true(json);
        return kpar_build_constant(lowering->graph, given, (kpar_shape){.rank = 0}, value);
    }
    return kpar_fail(KPAR_EUNSUPPORTED, "%s: argument %d: expected a tensor or a number", lowering->owner,
                     number + 1);
}

static kpar_status read_axis(const kpar_lowering *lowering, const char *key, int64_t by_default, int rank,
                             int *dim)
{
    int64_t axis;
    KPAR_TRY(kpar_config_integer(lowering->owner, lowering->layer->config, key, by_default, &axis));
    return kpar_lower_dim(lowering, axis, rank, dim);
}

/* --- element by element --- */

typedef kpar_x (*unary_formula)(kpar_expression_builder *e, kpar_x x);
typedef kpar_x (*binary_formula)(kpar_expression_builder *e, kpar_x a, kpar_x b);

static kpar_status apply_unary(kpar_lowering *lowering, const kpar_value_id *inputs, unary_formula formula,
                               kpar_value_id *output)
{
    kpar_value_id x;
    KPAR_TRY(operand(lowering, inputs, 0, &x));
    kpar_expression_builder *e = kpar_expression_begin(1);
    return kpar_lower_apply(lowering, e, formula(e, kpar_x_input(e, 0)), &x, 1, output);
}

static kpar_status apply_binary(kpar_lowering *lowering, const kpar_value_id *inputs, binary_formula formula,
                                kpar_value_id *output)
{
    kpar_value_id terms[2];
    for (int i = 0; i < 2; i++) KPAR_TRY(operand(lowering, inputs, i, &terms[i]));
    kpar_expression_builder *e = kpar_expression_begin(2);
    return kpar_lower_apply(lowering, e, formula(e, kpar_x_input(e, 0), kpar_x_input(e, 1)), terms, 2,
                            output);
}

static kpar_x greater(kpar_expression_builder *e, kpar_x a, kpar_x b) { return kpar_x_lt(e, b, a); }
static kpar_x greater_equal(kpar_expression_builder *e, kpar_x a, kpar_x b) { return kpar_x_le(e, b, a); }
static kpar_x not_equal(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    return kpar_x_sub(e, constant(e, 1), kpar_x_eq(e, a, b));
}
/* Logic: a number is true where it is not 0. */
static kpar_x truth(kpar_expression_builder *e, kpar_x x) { return not_equal(e, x, constant(e, 0)); }
static kpar_x logic_not(kpar_expression_builder *e, kpar_x x) { return kpar_x_eq(e, x, constant(e, 0)); }
static kpar_x logic_and(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    return kpar_x_min(e, truth(e, a), truth(e, b));
}
static kpar_x logic_or(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    return kpar_x_max(e, truth(e, a), truth(e, b));
}
static kpar_x logic_xor(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    return not_equal(e, truth(e, a), truth(e, b));
}
static kpar_x reciprocal(kpar_expression_builder *e, kpar_x x) { return kpar_x_div(e, constant(e, 1), x); }
static kpar_x inverse_root(kpar_expression_builder *e, kpar_x x) { return reciprocal(e, kpar_x_sqrt(e, x)); }
static kpar_x ones(kpar_expression_builder *e, kpar_x x)
{
    (void)x;
    return constant(e, 1);
}
static kpar_x zeros(kpar_expression_builder *e, kpar_x x)
{
    (void)x;
    return constant(e, 0);
}

/* Hendrycks and Gimpel's approximation. */
static kpar_x tanh_gelu(kpar_expression_builder *e, kpar_x x)
{
    kpar_x cube = kpar_x_mul(e, kpar_x_mul(e, kpar_x_square(e, x), x), constant(e, 0.044715));
    kpar_x inner = kpar_x_mul(e, kpar_x_add(e, x, cube), constant(e, 0.79788456080286535588));
    return kpar_x_mul(e, kpar_x_mul(e, x, constant(e, 0.5)),
                      kpar_x_add(e, kpar_x_tanh(e, inner), constant(e, 1)));
}

#define UNARY(name, formula)                                                                                 \
    static KPAR_OPERATION(name)                                                                              \
    {                                                                                                        \
        (void)n_inputs;                                                                                      \
        return apply_unary(lowering, inputs, formula, output);                                               \
    }
#define BINARY(name, formula)                                                                                \
    static KPAR_OPERATION(name)                                                                              \
    {                                                                                                        \
        (void)n_inputs;                                                                                      \
        return apply_binary(lowering, inputs, formula, output);                                              \
    }
/* clang-format off */
UNARY(negative, kpar_x_neg) UNARY(absolute, kpar_x_abs) UNARY(square, kpar_x_square) UNARY(square_root, kpar_x_sqrt)
UNARY(exponential, kpar_x_exp) UNARY(logarithm, kpar_x_log) UNARY(logarithm_of_one_more, kpar_x_log1p) UNARY(sine, kpar_x_sin)
UNARY(cosine, kpar_x_cos) UNARY(tangent_h, kpar_x_tanh) UNARY(sigmoid_of, kpar_x_sigmoid) UNARY(relu_of, kpar_x_relu)
UNARY(silu_of, kpar_x_silu) UNARY(softplus_of, kpar_x_softplus) UNARY(floor_of, kpar_x_floor) UNARY(sign_of, kpar_x_sign)
UNARY(reciprocal_of, reciprocal) UNARY(inverse_root_of, inverse_root) UNARY(error_function, kpar_x_erf)
UNARY(ones_like, ones) UNARY(zeros_like, zeros) UNARY(is_false, logic_not)
BINARY(sum_of, kpar_x_add) BINARY(difference, kpar_x_sub) BINARY(product, kpar_x_mul) BINARY(quotient, kpar_x_div)
BINARY(power, kpar_x_pow) BINARY(larger, kpar_x_max) BINARY(smaller, kpar_x_min) BINARY(is_greater, greater)
BINARY(is_less, kpar_x_lt) BINARY(is_greater_equal, greater_equal) BINARY(is_less_equal, kpar_x_le)
BINARY(is_equal, kpar_x_eq) BINARY(is_not_equal, not_equal) BINARY(both, logic_and) BINARY(either, logic_or)
BINARY(one_of, logic_xor)
    /* clang-format on */

    static KPAR_OPERATION(gelu)
{
    bool approximate;
    (void)n_inputs;
    KPAR_TRY(
        kpar_config_boolean(lowering->owner, lowering->layer->config, "approximate", true, &approximate));
    return apply_unary(lowering, inputs, approximate ? tanh_gelu : kpar_x_gelu, output);
}

static KPAR_OPERATION(clip)
{
    kpar_value_id x;
    double low, high;
    (void)n_inputs;
    KPAR_TRY(operand(lowering, inputs, 0, &x));
    KPAR_TRY(kpar_config_number(lowering->owner, lowering->layer->config, "x_min", 0, &low));
    KPAR_TRY(kpar_config_number(lowering->owner, lowering->layer->config, "x_max", 0, &high));
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x value = kpar_x_min(e, kpar_x_max(e, kpar_x_input(e, 0), constant(e, low)), constant(e, high));
    return kpar_lower_apply(lowering, e, value, &x, 1, output);
}

static KPAR_OPERATION(where)
{
    kpar_value_id terms[3];
    (void)n_inputs;
    for (int i = 0; i < 3; i++) KPAR_TRY(operand(lowering, inputs, i, &terms[i]));
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x value = kpar_x_select(e, kpar_x_input(e, 0), kpar_x_input(e, 1), kpar_x_input(e, 2));
    return kpar_lower_apply(lowering, e, value, terms, 3, output);
}

/* --- types --- */

/* Argument `dtype`, where it is given. Booleans are real numbers here, 1 and 0. */
static kpar_status cast(kpar_lowering *lowering, kpar_value_id x, kpar_value_id *output)
{
    kpar_graph *g = lowering->graph;
    const char *name;
    kpar_dtype dtype;
    *output = x;
    KPAR_TRY(kpar_config_string(lowering->owner, lowering->layer->config, "dtype", "float32", &name));
    const bool known = kpar_dtype_parse(name, &dtype);
    if (known && dtype == KPAR_F32) return kpar_lower_real(lowering, x, output);
    if (!known || (dtype != KPAR_I32 && dtype != KPAR_I64 && dtype != KPAR_BOOL))
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: argument 'dtype' is \"%s\"; supported are float32, int32, int64 and bool",
                         lowering->owner, name);
    KPAR_TRY(kpar_build_cast(g, dtype, x, output));
    return dtype == KPAR_BOOL ? kpar_lower_real(lowering, *output, output) : KPAR_OK;
}

static KPAR_OPERATION(as_type)
{
    kpar_value_id x;
    (void)n_inputs;
    KPAR_TRY(operand(lowering, inputs, 0, &x));
    return cast(lowering, x, output);
}

/* --- over dimensions --- */

static kpar_status has_axis(const kpar_lowering *lowering)
{
    if (!json_is_null(json_object_get(lowering->layer->config, "axis"))) return KPAR_OK;
    return kpar_fail(KPAR_EUNSUPPORTED, "%s: over all dimensions, the batch too; give an axis after the batch",
                     lowering->owner);
}

static kpar_status running(kpar_lowering *lowering, const kpar_value_id *inputs, kpar_reduction kind,
                           kpar_value_id *output)
{
    kpar_value_id x;
    int dim;
    KPAR_TRY(operand(lowering, inputs, 0, &x));
    KPAR_TRY(has_axis(lowering));
    KPAR_TRY(read_axis(lowering, "axis", -1, kpar_lower_shape(lowering, x)->rank, &dim));
    KPAR_TRY(cast(lowering, x, &x));
    return kpar_build_cumulative(lowering->graph, kind, dim, false, false, x, output);
}

static KPAR_OPERATION(cumulative_sum)
{
    (void)n_inputs;
    return running(lowering, inputs, KPAR_REDUCE_SUM, output);
}

static KPAR_OPERATION(cumulative_product)
{
    (void)n_inputs;
    return running(lowering, inputs, KPAR_REDUCE_PRODUCT, output);
}

static kpar_status reduce(kpar_lowering *lowering, kpar_value_id x, kpar_reduction kind, bool mean,
                          kpar_value_id *output)
{
    unsigned axes;
    bool keep;
    KPAR_TRY(has_axis(lowering));
    KPAR_TRY(kpar_lower_axes(lowering, kpar_lower_shape(lowering, x)->rank, &axes));
    KPAR_TRY(kpar_config_boolean(lowering->owner, lowering->layer->config, "keepdims", false, &keep));
    if (mean) return kpar_lower_mean(lowering, axes, keep, x, output);
    return kpar_lower_reduce(lowering, kind, axes, keep, x, output);
}

#define REDUCE(name, kind, mean)                                                                             \
    static KPAR_OPERATION(name)                                                                              \
    {                                                                                                        \
        kpar_value_id x;                                                                                     \
        (void)n_inputs;                                                                                      \
        KPAR_TRY(operand(lowering, inputs, 0, &x));                                                          \
        return reduce(lowering, x, kind, mean, output);                                                      \
    }
/* clang-format off */
REDUCE(mean_over, KPAR_REDUCE_SUM, true) REDUCE(sum_over, KPAR_REDUCE_SUM, false)
REDUCE(product_over, KPAR_REDUCE_PRODUCT, false)
REDUCE(max_over, KPAR_REDUCE_MAX, false) REDUCE(min_over, KPAR_REDUCE_MIN, false)
    /* clang-format on */

    static KPAR_OPERATION(any_over)
{
    kpar_value_id x;
    (void)n_inputs;
    KPAR_TRY(apply_unary(lowering, inputs, truth, &x));
    return reduce(lowering, x, KPAR_REDUCE_MAX, false, output);
}

static KPAR_OPERATION(all_over)
{
    kpar_value_id x;
    (void)n_inputs;
    KPAR_TRY(apply_unary(lowering, inputs, truth, &x));
    return reduce(lowering, x, KPAR_REDUCE_MIN, false, output);
}

static KPAR_OPERATION(softmax)
{
    kpar_value_id x;
    int dim;
    (void)n_inputs;
    KPAR_TRY(operand(lowering, inputs, 0, &x));
    const int rank = kpar_lower_shape(lowering, x)->rank;
    KPAR_TRY(read_axis(lowering, "axis", -1, rank, &dim));
    if (dim != rank - 1)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: only the last axis (-1) is supported", lowering->owner);
    return kpar_build_softmax(lowering->graph, x, output);
}

static KPAR_OPERATION(matmul)
{
    kpar_value_id a, b;
    (void)n_inputs;
    KPAR_TRY(operand(lowering, inputs, 0, &a));
    KPAR_TRY(operand(lowering, inputs, 1, &b));
    return kpar_build_matmul(lowering->graph, a, false, b, false, output);
}

/* Whether "btc,bsc->bts" and the like are a product of matrices of tensors of `rank`: the same leading dimensions, one
 * dimension summed, then the other of a and the other of b. */
static bool is_matmul(const char *text, int rank, bool *transpose_a, bool *transpose_b)
{
    const char *comma = strchr(text, ','), *arrow = strstr(text, "->");
    if (!comma || !arrow || rank < 2 || comma - text != rank || arrow - comma - 1 != rank ||
        strlen(arrow + 2) != (size_t)rank)
        return false;
    const size_t leading = (size_t)rank - 2;
    const char *a = text + leading, *b = comma + 1 + leading, *c = arrow + 2 + leading;
    if (memcmp(text, comma + 1, leading) != 0 || memcmp(text, arrow + 2, leading) != 0) return false;
    *transpose_a = a[0] != c[0];
    *transpose_b = b[1] != c[1];
    return a[*transpose_a] == c[0] && b[!*transpose_b] == c[1] && a[!*transpose_a] == b[*transpose_b];
}

static KPAR_OPERATION(einsum)
{
    const char *text;
    kpar_value_id a, b;
    bool transpose_a, transpose_b;
    (void)n_inputs;
    KPAR_TRY(kpar_config_string(lowering->owner, lowering->layer->config, "subscripts", "", &text));
    KPAR_TRY(operand(lowering, inputs, 0, &a));
    KPAR_TRY(operand(lowering, inputs, 1, &b));
    const int rank = kpar_lower_shape(lowering, a)->rank;
    if (kpar_lower_shape(lowering, b)->rank == rank && is_matmul(text, rank, &transpose_a, &transpose_b))
        return kpar_build_matmul(lowering->graph, a, transpose_a, b, transpose_b, output);
    return kpar_fail(KPAR_EUNSUPPORTED,
                     "%s: subscripts \"%s\" are not supported; supported are batched matrix products such as "
                     "\"btc,bsc->bts\"",
                     lowering->owner, text);
}

/* --- shapes --- */

static KPAR_OPERATION(reshape)
{
    kpar_value_id x;
    (void)n_inputs;
    KPAR_TRY(operand(lowering, inputs, 0, &x));
    const json_t *list = json_object_get(lowering->layer->config, "newshape");
    const int64_t elements = kpar_lower_elements(kpar_lower_shape(lowering, x), 1);
    kpar_shape shape = {.rank = (int)json_array_size(list), .dims = {{1, true}}};
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
    KPAR_TRY(operand(lowering, inputs, 0, &x));
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

static kpar_status insert_dimension(kpar_lowering *lowering, kpar_value_id x, int dim, kpar_value_id *output)
{
    const kpar_shape *from = kpar_lower_shape(lowering, x);
    kpar_shape shape = {.rank = from->rank + 1};
    if (shape.rank > KPAR_MAX_RANK)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: more than %d dimensions", lowering->owner, KPAR_MAX_RANK);
    for (int i = 0; i < shape.rank; i++)
        shape.dims[i] = i == dim ? (kpar_dim){1, false} : from->dims[i < dim ? i : i - 1];
    return kpar_build_reshape(lowering->graph, shape, x, output);
}

static KPAR_OPERATION(expand_dims)
{
    kpar_value_id x;
    int dim;
    (void)n_inputs;
    KPAR_TRY(operand(lowering, inputs, 0, &x));
    KPAR_TRY(read_axis(lowering, "axis", -1, kpar_lower_shape(lowering, x)->rank + 1, &dim));
    return insert_dimension(lowering, x, dim, output);
}

static KPAR_OPERATION(squeeze)
{
    kpar_value_id x;
    unsigned axes = 0;
    const json_t *axis = json_object_get(lowering->layer->config, "axis");
    (void)n_inputs;
    KPAR_TRY(operand(lowering, inputs, 0, &x));
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

static KPAR_OPERATION(stack)
{
    int dim;
    kpar_value_id *parts = kpar_arena_alloc(lowering->arena, ((size_t)n_inputs + 1) * sizeof *parts);
    KPAR_TRY(read_axis(lowering, "axis", 0, kpar_lower_shape(lowering, inputs[0])->rank + 1, &dim));
    for (int i = 0; i < n_inputs; i++) {
        KPAR_TRY(kpar_lower_real(lowering, inputs[i], &parts[i]));
        KPAR_TRY(insert_dimension(lowering, parts[i], dim, &parts[i]));
    }
    return kpar_build_concat(lowering->graph, dim, parts, n_inputs, output);
}

/* Parts [start, stop) of dimension `dim`. */
static kpar_status cut(kpar_lowering *lowering, kpar_value_id x, int dim, int64_t start, int64_t stop,
                       kpar_value_id *output)
{
    int64_t first[KPAR_MAX_RANK] = {0}, end[KPAR_MAX_RANK];
    for (int i = 0; i < KPAR_MAX_RANK; i++) end[i] = KPAR_TO_END;
    first[dim] = start;
    end[dim] = stop;
    return kpar_build_slice(lowering->graph, first, end, x, output);
}

static KPAR_OPERATION(split)
{
    kpar_value_id x;
    int dim;
    const json_t *sections = json_object_get(lowering->layer->config, "indices_or_sections");
    (void)n_inputs;
    KPAR_TRY(operand(lowering, inputs, 0, &x));
    const kpar_shape shape = *kpar_lower_shape(lowering, x);
    KPAR_TRY(read_axis(lowering, "axis", 0, shape.rank, &dim));
    const int64_t size = shape.dims[dim].size;
    const int64_t n =
        json_is_array(sections) ? (int64_t)json_array_size(sections) + 1 : json_integer_value(sections);
    if (n < 1 || n > KPAR_CALL_OUTPUTS || (!json_is_array(sections) && size % n != 0))
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: expected at most %d sections that divide %lld",
                         lowering->owner, KPAR_CALL_OUTPUTS, (long long)size);
    for (int64_t i = 0, start = 0, stop; i < n; i++, start = stop) {
        stop = size / n * (i + 1);
        if (json_is_array(sections))
            stop = i < n - 1 ? json_integer_value(json_array_get(sections, (size_t)i)) : size;
        KPAR_TRY(cut(lowering, x, dim, start, stop, &output[i]));
    }
    return KPAR_OK;
}

/* Drops dimension `dim`, whose size is 1. */
static kpar_status drop_dimension(kpar_lowering *lowering, int dim, kpar_value_id *x)
{
    kpar_shape shape = *kpar_lower_shape(lowering, *x);
    for (int i = dim; i + 1 < shape.rank; i++) shape.dims[i] = shape.dims[i + 1];
    shape.rank--;
    return kpar_build_reshape(lowering->graph, shape, *x, x);
}

/* Every step-th element of a dimension: the first column of its rows of `step`, the last row filled up with zeros. */
static kpar_status take_every(kpar_lowering *lowering, int dim, int64_t step, kpar_value_id *x)
{
    kpar_graph *g = lowering->graph;
    kpar_shape shape = *kpar_lower_shape(lowering, *x);
    const int64_t size = shape.dims[dim].size, n = (size + step - 1) / step;
    int64_t before[KPAR_MAX_RANK] = {0}, after[KPAR_MAX_RANK] = {0};
    after[dim] = n * step - size;
    if (after[dim] > 0) KPAR_TRY(kpar_build_pad(g, before, after, *x, x));
    if (shape.rank == KPAR_MAX_RANK)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: more than %d dimensions", lowering->owner, KPAR_MAX_RANK);
    for (int i = shape.rank++; i > dim + 1; i--) shape.dims[i] = shape.dims[i - 1];
    shape.dims[dim].size = n;
    shape.dims[dim + 1] = (kpar_dim){step, false};
    KPAR_TRY(kpar_build_reshape(g, shape, *x, x));
    KPAR_TRY(cut(lowering, *x, dim + 1, 0, 1, x));
    return drop_dimension(lowering, dim + 1, x);
}

/* The bound of a slice, counted from the end if negative; null: `otherwise`. */
static int64_t slice_bound(const json_t *bound, int64_t size, int64_t otherwise)
{
    if (!json_is_integer(bound)) return otherwise;
    const int64_t at =
        json_integer_value(bound) < 0 ? json_integer_value(bound) + size : json_integer_value(bound);
    return at < 0 ? 0 : at > size ? size : at;
}

static kpar_status take_slice(kpar_lowering *lowering, const json_t *slice, int dim, kpar_value_id *x)
{
    const int64_t size = kpar_lower_shape(lowering, *x)->dims[dim].size;
    const int64_t start = slice_bound(json_object_get(slice, "start"), size, 0),
                  stop = slice_bound(json_object_get(slice, "stop"), size, size);
    const json_t *given = json_object_get(slice, "step");
    const int64_t step = json_is_integer(given) ? json_integer_value(given) : 1;
    if (step < 1 || start >= stop)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: slice %lld to %lld with step %lld of a dimension of %lld",
                         lowering->owner, (long long)start, (long long)stop, (long long)step,
                         (long long)size);
    if (start > 0 || stop < size) KPAR_TRY(cut(lowering, *x, dim, start, stop, x));
    return step > 1 ? take_every(lowering, dim, step, x) : KPAR_OK;
}

static bool is_whole(const json_t *slice)
{
    const json_t *step = json_object_get(slice, "step");
    return json_is_null(json_object_get(slice, "start")) && json_is_null(json_object_get(slice, "stop")) &&
           (json_is_null(step) || json_integer_value(step) == 1);
}

/* One element of an index: a number drops its dimension, a slice cuts it, null adds one. *dim: the dimension it is for,
 * then the next. */
static kpar_status index_dimension(kpar_lowering *lowering, const json_t *index, int *dim, kpar_value_id *x)
{
    const bool slice = is_class(index, "__slice__");
    const kpar_shape *shape = kpar_lower_shape(lowering, *x);
    if (json_is_null(index)) return insert_dimension(lowering, *x, (*dim)++, x);
    if (slice && is_whole(json_object_get(index, "config"))) {
        (*dim)++;
        return KPAR_OK;
    }
    if (*dim == 0 || *dim >= shape->rank || (!slice && !json_is_integer(index)))
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: supported indices are numbers, slices and null, after the whole batch",
                         lowering->owner);
    if (slice) return take_slice(lowering, json_object_get(index, "config"), (*dim)++, x);
    const int64_t size = shape->dims[*dim].size,
                  at = json_integer_value(index) + (json_integer_value(index) < 0 ? size : 0);
    if (at < 0 || at >= size)
        return kpar_fail(KPAR_EFORMAT, "%s: index %lld of a dimension of %lld", lowering->owner,
                         (long long)at, (long long)size);
    KPAR_TRY(cut(lowering, *x, *dim, at, at + 1, x));
    return drop_dimension(lowering, *dim, x);
}

static KPAR_OPERATION(get_item)
{
    const json_t *indices = argument(lowering, 1);
    int dim = 0;
    (void)n_inputs;
    KPAR_TRY(operand(lowering, inputs, 0, output));
    if (!json_is_array(indices)) return index_dimension(lowering, indices, &dim, output);
    for (size_t i = 0; i < json_array_size(indices); i++)
        KPAR_TRY(index_dimension(lowering, json_array_get(indices, i), &dim, output));
    return KPAR_OK;
}

static const kpar_layer_row rows[] = {
    {"Add", "a + b", "", "", .lower = sum_of},
    {"Subtract", "a - b", "", "", .lower = difference},
    {"Multiply", "a b", "", "", .lower = product},
    {"TrueDivide", "a / b", "", "", .lower = quotient},
    {"Divide", "a / b", "", "", .lower = quotient},
    {"Power", "a^b", "", "", .lower = power},
    {"Maximum", "the larger", "", "", .lower = larger},
    {"Minimum", "the smaller", "", "", .lower = smaller},
    {"Greater", "a > b", "", "", .lower = is_greater},
    {"GreaterEqual", "a >= b", "", "", .lower = is_greater_equal},
    {"Less", "a < b", "", "", .lower = is_less},
    {"LessEqual", "a <= b", "", "", .lower = is_less_equal},
    {"Equal", "a = b", "", "", .lower = is_equal},
    {"NotEqual", "a != b", "", "", .lower = is_not_equal},
    {"LogicalAnd", "whether both are not 0", "", "", .lower = both},
    {"LogicalOr", "whether one is not 0", "", "", .lower = either},
    {"LogicalXor", "whether just one is not 0", "", "", .lower = one_of},
    {"LogicalNot", "whether it is 0", "", "", .lower = is_false},
    {"Any", "whether one is not 0, over dimensions of a sample", "axis keepdims", "", .lower = any_over},
    {"All", "whether none is 0, over dimensions of a sample", "axis keepdims", "", .lower = all_over},
    {"Negative", "-x", "", "", .lower = negative},
    {"Absolute", "|x|", "", "", .lower = absolute},
    {"Square", "x^2", "", "", .lower = square},
    {"Sqrt", "square root", "", "", .lower = square_root},
    {"Rsqrt", "1 / square root", "", "", .lower = inverse_root_of},
    {"Reciprocal", "1 / x", "", "", .lower = reciprocal_of},
    {"Exp", "e^x", "", "", .lower = exponential},
    {"Log", "natural logarithm", "", "", .lower = logarithm},
    {"Log1p", "log(1 + x)", "", "", .lower = logarithm_of_one_more},
    {"Sin", "sine", "", "", .lower = sine},
    {"Cos", "cosine", "", "", .lower = cosine},
    {"Tanh", "hyperbolic tangent", "", "", .lower = tangent_h},
    {"Erf", "error function", "", "", .lower = error_function},
    {"Floor", "rounded down", "", "", .lower = floor_of},
    {"Sign", "-1, 0 or 1", "", "", .lower = sign_of},
    {"Sigmoid", "1 / (1 + e^-x)", "", "", .lower = sigmoid_of},
    {"Relu", "max(x, 0)", "", "", .lower = relu_of},
    {"Silu", "x sigmoid(x)", "", "", .lower = silu_of},
    {"Softplus", "log(1 + e^x)", "", "", .lower = softplus_of},
    {"Gelu", "x times the normal distribution", "approximate", "", .lower = gelu},
    {"Clip", "between x_min and x_max", "x_min x_max", "", .lower = clip},
    {"Where", "a where the condition holds, else b", "", "", .lower = where},
    {"OnesLike", "1 of the same shape", "dtype", "", .lower = ones_like},
    {"ZerosLike", "0 of the same shape", "dtype", "", .lower = zeros_like},
    {"Mean", "mean over dimensions of a sample", "axis keepdims", "", .lower = mean_over},
    {"Sum", "sum over dimensions of a sample", "axis keepdims", "", .lower = sum_over},
    {"Prod", "product over dimensions of a sample", "axis keepdims", "", .lower = product_over},
    {"Cumsum", "sum of the elements up to each", "axis dtype", "", .lower = cumulative_sum},
    {"Cumprod", "product of the elements up to each", "axis dtype", "", .lower = cumulative_product},
    {"Cast", "as another type", "dtype", "", .lower = as_type},
    {"ConvertToTensor", "its operand", "dtype", "", .lower = as_type},
    {"Max", "largest over dimensions of a sample", "axis keepdims", "", .lower = max_over},
    {"Min", "smallest over dimensions of a sample", "axis keepdims", "", .lower = min_over},
    {"Softmax", "softmax over the last dimension", "axis", "", .lower = softmax},
    {"Matmul", "batched matrix product", "", "", .lower = matmul},
    {"Einsum", "batched matrix product by subscripts", "subscripts", "", .lower = einsum},
    {"Reshape", "another shape for each sample", "newshape", "", .lower = reshape},
    {"Transpose", "dimensions in another order", "axes", "", .lower = transpose},
    {"ExpandDims", "a dimension of 1", "axis", "", .lower = expand_dims},
    {"Squeeze", "without dimensions of 1", "axis", "", .lower = squeeze},
    {"Stack", "inputs along a new dimension", "axis", "", .lower = stack},
    {"Concatenate", "inputs side by side", "axis", "", .lower = kpar_layer_concatenate},
    {"Split", "parts of a dimension", "indices_or_sections axis", "", .lower = split},
    {"GetItem", "x[indices]", "", "", .lower = get_item},
};

const kpar_layer_row *kpar_operation_rows(int *n)
{
    *n = (int)(sizeof rows / sizeof rows[0]);
    return rows;
}
