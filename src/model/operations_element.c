/* Operations element by element: a formula each. */
#include "model/operations.h"

#include <float.h>
#include <math.h>

/* --- comparisons and logic: a number is true where it is not 0 --- */

static kpar_x greater(kpar_expression_builder *e, kpar_x a, kpar_x b) { return kpar_x_lt(e, b, a); }
static kpar_x greater_equal(kpar_expression_builder *e, kpar_x a, kpar_x b) { return kpar_x_le(e, b, a); }
static kpar_x not(kpar_expression_builder * e, kpar_x x) { return kpar_x_eq(e, x, kpar_x_constant(e, 0)); }
static kpar_x not_equal(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    return kpar_x_sub(e, kpar_x_constant(e, 1), kpar_x_eq(e, a, b));
}
static kpar_x truth(kpar_expression_builder *e, kpar_x x) { return not_equal(e, x, kpar_x_constant(e, 0)); }
static kpar_x both(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    return kpar_x_min(e, truth(e, a), truth(e, b));
}
static kpar_x either(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    return kpar_x_max(e, truth(e, a), truth(e, b));
}
static kpar_x one_of(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    return not_equal(e, truth(e, a), truth(e, b));
}

/* --- numbers that are none --- */

static kpar_x is_nan(kpar_expression_builder *e, kpar_x x) { return not_equal(e, x, x); }
static kpar_x is_positive_infinity(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_lt(e, kpar_x_constant(e, FLT_MAX), x);
}
static kpar_x is_negative_infinity(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_lt(e, x, kpar_x_constant(e, -FLT_MAX));
}
static kpar_x is_infinite(kpar_expression_builder *e, kpar_x x)
{
    return is_positive_infinity(e, kpar_x_abs(e, x));
}
static kpar_x is_finite(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_le(e, kpar_x_abs(e, x), kpar_x_constant(e, FLT_MAX));
}
static kpar_x is_negative(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_lt(e, x, kpar_x_constant(e, 0));
}

static KPAR_OPERATION(numbers_for_none)
{
    const json_t *config = lowering->layer->config;
    double nan, high, low;
    kpar_value_id x;
    (void)n_inputs;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, &x));
    KPAR_TRY(kpar_config_number(lowering->owner, config, "nan", 0, &nan));
    KPAR_TRY(kpar_config_number(lowering->owner, config, "posinf", FLT_MAX, &high));
    KPAR_TRY(kpar_config_number(lowering->owner, config, "neginf", -FLT_MAX, &low));
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x in = kpar_x_input(e, 0);
    kpar_x y = kpar_x_select(e, is_negative_infinity(e, in), kpar_x_constant(e, low), in);
    y = kpar_x_select(e, is_positive_infinity(e, in), kpar_x_constant(e, high), y);
    y = kpar_x_select(e, is_nan(e, in), kpar_x_constant(e, nan), y);
    return kpar_lower_apply(lowering, e, y, &x, 1, output);
}

/* --- arithmetic --- */

static kpar_x reciprocal(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_div(e, kpar_x_constant(e, 1), x);
}
static kpar_x same(kpar_expression_builder *e, kpar_x x)
{
    (void)e;
    return x;
}
static kpar_x ones(kpar_expression_builder *e, kpar_x x)
{
    (void)x;
    return kpar_x_constant(e, 1);
}
static kpar_x zeros(kpar_expression_builder *e, kpar_x x)
{
    (void)x;
    return kpar_x_constant(e, 0);
}
static kpar_x step(kpar_expression_builder *e, kpar_x x, kpar_x at_zero)
{
    kpar_x above = kpar_x_select(e, not(e, x), at_zero, kpar_x_constant(e, 1));
    return kpar_x_select(e, is_negative(e, x), kpar_x_constant(e, 0), above);
}
/* `value` for 1 / x where x is 0. */
static kpar_x nonzero(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_select(e, not(e, x), kpar_x_constant(e, 1), x);
}
static kpar_x quotient_or_zero(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    return kpar_x_select(e, not(e, b), kpar_x_constant(e, 0), kpar_x_div(e, a, nonzero(e, b)));
}
static kpar_x larger_number(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    kpar_x other = kpar_x_select(e, is_nan(e, b), a, kpar_x_max(e, a, b));
    return kpar_x_select(e, is_nan(e, a), b, other);
}
static kpar_x smaller_number(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    kpar_x other = kpar_x_select(e, is_nan(e, b), a, kpar_x_min(e, a, b));
    return kpar_x_select(e, is_nan(e, a), b, other);
}

/* --- whole numbers --- */

static kpar_x ceiling(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_neg(e, kpar_x_floor(e, kpar_x_neg(e, x)));
}
static kpar_x truncated(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_select(e, is_negative(e, x), ceiling(e, x), kpar_x_floor(e, x));
}
/* A half goes to the even neighbour. */
static kpar_x rounded(kpar_expression_builder *e, kpar_x x)
{
    kpar_x low = kpar_x_floor(e, x), part = kpar_x_sub(e, x, low);
    kpar_x odd = kpar_x_sub(e, low, kpar_x_times(e, kpar_x_floor(e, kpar_x_times(e, low, 0.5)), 2));
    kpar_x half = kpar_x_eq(e, part, kpar_x_constant(e, 0.5));
    kpar_x up = kpar_x_select(e, half, odd, kpar_x_lt(e, kpar_x_constant(e, 0.5), part));
    return kpar_x_add(e, low, up);
}
static kpar_x whole_quotient(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    return kpar_x_floor(e, kpar_x_div(e, a, b));
}
static kpar_x remainder_of(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    return kpar_x_sub(e, a, kpar_x_mul(e, whole_quotient(e, a, b), b));
}
static kpar_x signed_remainder(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    return kpar_x_sub(e, a, kpar_x_mul(e, truncated(e, kpar_x_div(e, a, b)), b));
}

static KPAR_OPERATION(round_to)
{
    int64_t decimals;
    kpar_value_id x;
    (void)n_inputs;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, &x));
    KPAR_TRY(kpar_config_integer(lowering->owner, lowering->layer->config, "decimals", 0, &decimals));
    const double factor = pow(10, (double)decimals);
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x y =
        kpar_x_div(e, rounded(e, kpar_x_times(e, kpar_x_input(e, 0), factor)), kpar_x_constant(e, factor));
    return kpar_lower_apply(lowering, e, y, &x, 1, output);
}

/* --- of several operands --- */

static KPAR_OPERATION(clip)
{
    kpar_value_id x;
    double low, high;
    (void)n_inputs;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, &x));
    KPAR_TRY(kpar_config_number(lowering->owner, lowering->layer->config, "x_min", -INFINITY, &low));
    KPAR_TRY(kpar_config_number(lowering->owner, lowering->layer->config, "x_max", INFINITY, &high));
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x value = kpar_x_input(e, 0);
    if (isfinite(low)) value = kpar_x_max(e, value, kpar_x_constant(e, low));
    if (isfinite(high)) value = kpar_x_min(e, value, kpar_x_constant(e, high));
    return kpar_lower_apply(lowering, e, value, &x, 1, output);
}

static KPAR_OPERATION(where)
{
    kpar_value_id terms[3];
    (void)n_inputs;
    for (int i = 0; i < 3; i++) KPAR_TRY(kpar_operand(lowering, inputs, i, &terms[i]));
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x value = kpar_x_select(e, kpar_x_input(e, 0), kpar_x_input(e, 1), kpar_x_input(e, 2));
    return kpar_lower_apply(lowering, e, value, terms, 3, output);
}

/* The value at the first condition that holds, else the default. */
static KPAR_OPERATION(select_from)
{
    const size_t n = json_array_size(kpar_operand_json(lowering, 0, NULL));
    kpar_value_id *terms = kpar_arena_alloc(lowering->arena, (2 * n + 1) * sizeof *terms);
    (void)n_inputs;
    for (size_t i = 0; i < n; i++) {
        KPAR_TRY(kpar_operand_in_list(lowering, inputs, 0, i, &terms[i]));
        KPAR_TRY(kpar_operand_in_list(lowering, inputs, 1, i, &terms[n + i]));
    }
    if (kpar_operand_json(lowering, 2, NULL))
        KPAR_TRY(kpar_operand(lowering, inputs, 2, &terms[2 * n]));
    else
        KPAR_TRY(kpar_build_constant(lowering->graph, 0, (kpar_shape){.rank = 0}, &terms[2 * n]));
    const int count = (int)n;
    kpar_expression_builder *e = kpar_expression_begin(2 * count + 1);
    kpar_x value = kpar_x_input(e, 2 * count);
    for (int i = count - 1; i >= 0; i--)
        value = kpar_x_select(e, kpar_x_input(e, i), kpar_x_input(e, count + i), value);
    return kpar_lower_apply(lowering, e, value, terms, 2 * count + 1, output);
}

/* Argument number `number` of the call, or what is given as `name`. */
static double tolerance(const kpar_lowering *lowering, int number, const char *name, double by_default)
{
    const json_t *given = kpar_operand_json(lowering, number, name);
    return json_is_number(given) ? json_number_value(given) : by_default;
}

/* |a - b| <= atol + rtol |b| */
static KPAR_OPERATION(is_close)
{
    bool equal_nan;
    kpar_value_id terms[2];
    (void)n_inputs;
    for (int i = 0; i < 2; i++) KPAR_TRY(kpar_operand(lowering, inputs, i, &terms[i]));
    KPAR_TRY(kpar_config_boolean(lowering->owner, lowering->layer->config, "equal_nan", false, &equal_nan));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x a = kpar_x_input(e, 0), b = kpar_x_input(e, 1);
    kpar_x bound = kpar_x_plus(e, kpar_x_times(e, kpar_x_abs(e, b), tolerance(lowering, 2, "rtol", 1e-5)),
                               tolerance(lowering, 3, "atol", 1e-8));
    kpar_x near = kpar_x_le(e, kpar_x_abs(e, kpar_x_sub(e, a, b)), bound);
    near = kpar_x_max(e, near, kpar_x_eq(e, a, b));
    if (equal_nan) near = kpar_x_max(e, near, kpar_x_min(e, is_nan(e, a), is_nan(e, b)));
    return kpar_lower_apply(lowering, e, near, terms, 2, output);
}

static KPAR_OPERATION(filled)
{
    kpar_value_id terms[2];
    (void)n_inputs;
    for (int i = 0; i < 2; i++) KPAR_TRY(kpar_operand(lowering, inputs, i, &terms[i]));
    kpar_expression_builder *e = kpar_expression_begin(2);
    return kpar_lower_apply(lowering, e, kpar_x_input(e, 1), terms, 2, output);
}

/* --- types --- */

static KPAR_OPERATION(as_type)
{
    kpar_value_id x;
    (void)n_inputs;
    KPAR_TRY(kpar_operand_given(lowering, inputs, 0, &x));
    return kpar_operation_cast(lowering, x, output);
}

static const kpar_layer_row rows[] = {
    {"Add", "a + b", "", "", KPAR_BINARY = kpar_x_add},
    {"Subtract", "a - b", "", "", KPAR_BINARY = kpar_x_sub},
    {"Multiply", "a b", "", "", KPAR_BINARY = kpar_x_mul},
    {"TrueDivide", "a / b", "", "", KPAR_BINARY = kpar_x_div},
    {"Divide", "a / b", "", "", KPAR_BINARY = kpar_x_div},
    {"DivideNoNan", "a / b, 0 where b is 0", "", "", KPAR_BINARY = quotient_or_zero},
    {"FloorDivide", "a / b, rounded down", "", "", KPAR_BINARY = whole_quotient},
    {"Mod", "what is left of a / b, with the sign of b", "", "", KPAR_BINARY = remainder_of},
    {"Fmod", "what is left of a / b, with the sign of a", "", "", KPAR_BINARY = signed_remainder},
    {"Maximum", "the larger", "", "", KPAR_BINARY = kpar_x_max},
    {"Minimum", "the smaller", "", "", KPAR_BINARY = kpar_x_min},
    {"Fmax", "the larger, of a number and none the number", "", "", KPAR_BINARY = larger_number},
    {"Fmin", "the smaller, of a number and none the number", "", "", KPAR_BINARY = smaller_number},
    {"Heaviside", "0 below 0, 1 above, b at 0", "", "", KPAR_BINARY = step},
    {"Greater", "a > b", "", "", KPAR_BINARY = greater},
    {"GreaterEqual", "a >= b", "", "", KPAR_BINARY = greater_equal},
    {"Less", "a < b", "", "", KPAR_BINARY = kpar_x_lt},
    {"LessEqual", "a <= b", "", "", KPAR_BINARY = kpar_x_le},
    {"Equal", "a = b", "", "", KPAR_BINARY = kpar_x_eq},
    {"NotEqual", "a != b", "", "", KPAR_BINARY = not_equal},
    {"LogicalAnd", "whether both are not 0", "", "", KPAR_BINARY = both},
    {"LogicalOr", "whether one is not 0", "", "", KPAR_BINARY = either},
    {"LogicalXor", "whether just one is not 0", "", "", KPAR_BINARY = one_of},
    {"LogicalNot", "whether it is 0", "", "", KPAR_UNARY = not },
    {"Isclose", "whether a and b differ little", "equal_nan", "", .lower = is_close,
     .call_arguments = "rtol atol"},
    {"Isnan", "whether it is no number", "", "", KPAR_UNARY = is_nan},
    {"Isinf", "whether it is infinite", "", "", KPAR_UNARY = is_infinite},
    {"Isposinf", "whether it is infinite and positive", "", "", KPAR_UNARY = is_positive_infinity},
    {"Isneginf", "whether it is infinite and negative", "", "", KPAR_UNARY = is_negative_infinity},
    {"Isfinite", "whether it is a finite number", "", "", KPAR_UNARY = is_finite},
    {"Signbit", "whether it is below 0", "", "", KPAR_UNARY = is_negative},
    {"NanToNum", "numbers for infinity and for none", "nan posinf neginf", "", .lower = numbers_for_none},
    {"Negative", "-x", "", "", KPAR_UNARY = kpar_x_neg},
    {"Absolute", "|x|", "", "", KPAR_UNARY = kpar_x_abs},
    {"Abs", "|x|", "", "", KPAR_UNARY = kpar_x_abs},
    {"Fabs", "|x|", "", "", KPAR_UNARY = kpar_x_abs},
    {"Sign", "-1, 0 or 1", "", "", KPAR_UNARY = kpar_x_sign},
    {"Square", "x^2", "", "", KPAR_UNARY = kpar_x_square},
    {"Reciprocal", "1 / x", "", "", KPAR_UNARY = reciprocal},
    {"Floor", "rounded down", "", "", KPAR_UNARY = kpar_x_floor},
    {"Ceil", "rounded up", "", "", KPAR_UNARY = ceiling},
    {"Trunc", "rounded towards 0", "", "", KPAR_UNARY = truncated},
    {"Round", "rounded, a half to the even neighbour", "decimals", "", .lower = round_to},
    {"Clip", "between x_min and x_max", "x_min x_max", "", .lower = clip},
    {"Where", "a where the condition holds, else b", "", "", .lower = where},
    {"Select", "the value at the first condition that holds", "", "", .lower = select_from},
    {"OnesLike", "1 of the same shape", "dtype", "", KPAR_UNARY = ones},
    {"ZerosLike", "0 of the same shape", "dtype", "", KPAR_UNARY = zeros},
    {"EmptyLike", "0 of the same shape", "dtype", "", KPAR_UNARY = zeros},
    {"FullLike", "a value in the same shape", "dtype", "", .lower = filled},
    {"Copy", "its operand", "", "", KPAR_UNARY = same},
    {"StopGradient", "its operand, as if it were given", "", "", KPAR_UNARY = kpar_x_stop},
    {"Cast", "as another type", "dtype", "", .lower = as_type},
    {"SaturateCast", "as another type", "dtype", "", .lower = as_type},
    {"ConvertToTensor", "its operand", "dtype sparse", "", .lower = as_type},
};

const kpar_operation_table kpar_operations_by_element = KPAR_OPERATION_TABLE(rows);
