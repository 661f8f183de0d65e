/* Operations element by element: a formula each. */
#include "model/operations.h"

#include <float.h>
#include <math.h>

static kpar_x constant(kpar_expression_builder *e, double value) { return kpar_x_constant(e, value); }
static kpar_x times(kpar_expression_builder *e, kpar_x x, double factor)
{
    return kpar_x_mul(e, x, constant(e, factor));
}
static kpar_x plus(kpar_expression_builder *e, kpar_x x, double term)
{
    return kpar_x_add(e, x, constant(e, term));
}

/* --- how formulas are applied --- */

static KPAR_OPERATION(of_one)
{
    kpar_value_id x;
    (void)n_inputs;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, &x));
    kpar_expression_builder *e = kpar_expression_begin(1);
    return kpar_lower_apply(lowering, e, lowering->layer->row->unary(e, kpar_x_input(e, 0)), &x, 1, output);
}

static KPAR_OPERATION(of_two)
{
    kpar_value_id terms[2];
    (void)n_inputs;
    for (int i = 0; i < 2; i++) KPAR_TRY(kpar_operand(lowering, inputs, i, &terms[i]));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x value = lowering->layer->row->binary(e, kpar_x_input(e, 0), kpar_x_input(e, 1));
    return kpar_lower_apply(lowering, e, value, terms, 2, output);
}

/* --- comparisons and logic: a number is true where it is not 0 --- */

static kpar_x greater(kpar_expression_builder *e, kpar_x a, kpar_x b) { return kpar_x_lt(e, b, a); }
static kpar_x greater_equal(kpar_expression_builder *e, kpar_x a, kpar_x b) { return kpar_x_le(e, b, a); }
static kpar_x not(kpar_expression_builder * e, kpar_x x) { return kpar_x_eq(e, x, constant(e, 0)); }
static kpar_x not_equal(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    return kpar_x_sub(e, constant(e, 1), kpar_x_eq(e, a, b));
}
static kpar_x truth(kpar_expression_builder *e, kpar_x x) { return not_equal(e, x, constant(e, 0)); }
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
    return kpar_x_lt(e, constant(e, FLT_MAX), x);
}
static kpar_x is_negative_infinity(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_lt(e, x, constant(e, -FLT_MAX));
}
static kpar_x is_infinite(kpar_expression_builder *e, kpar_x x)
{
    return is_positive_infinity(e, kpar_x_abs(e, x));
}
static kpar_x is_finite(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_le(e, kpar_x_abs(e, x), constant(e, FLT_MAX));
}
static kpar_x is_negative(kpar_expression_builder *e, kpar_x x) { return kpar_x_lt(e, x, constant(e, 0)); }

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
    kpar_x y = kpar_x_select(e, is_negative_infinity(e, in), constant(e, low), in);
    y = kpar_x_select(e, is_positive_infinity(e, in), constant(e, high), y);
    y = kpar_x_select(e, is_nan(e, in), constant(e, nan), y);
    return kpar_lower_apply(lowering, e, y, &x, 1, output);
}

/* --- arithmetic --- */

static kpar_x reciprocal(kpar_expression_builder *e, kpar_x x) { return kpar_x_div(e, constant(e, 1), x); }
static kpar_x inverse_root(kpar_expression_builder *e, kpar_x x) { return reciprocal(e, kpar_x_sqrt(e, x)); }
static kpar_x cube_root(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_mul(e, kpar_x_sign(e, x), kpar_x_pow(e, kpar_x_abs(e, x), constant(e, 1.0 / 3)));
}
static kpar_x same(kpar_expression_builder *e, kpar_x x)
{
    (void)e;
    return x;
}
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
static kpar_x degrees_to_radians(kpar_expression_builder *e, kpar_x x) { return times(e, x, M_PI / 180); }
static kpar_x radians_to_degrees(kpar_expression_builder *e, kpar_x x) { return times(e, x, 180 / M_PI); }
static kpar_x hypotenuse(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    return kpar_x_sqrt(e, kpar_x_add(e, kpar_x_square(e, a), kpar_x_square(e, b)));
}
static kpar_x step(kpar_expression_builder *e, kpar_x x, kpar_x at_zero)
{
    kpar_x above = kpar_x_select(e, not(e, x), at_zero, constant(e, 1));
    return kpar_x_select(e, is_negative(e, x), constant(e, 0), above);
}
/* `value` for 1 / x where x is 0. */
static kpar_x nonzero(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_select(e, not(e, x), constant(e, 1), x);
}
static kpar_x quotient_or_zero(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    return kpar_x_select(e, not(e, b), constant(e, 0), kpar_x_div(e, a, nonzero(e, b)));
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
    kpar_x odd = kpar_x_sub(e, low, times(e, kpar_x_floor(e, times(e, low, 0.5)), 2));
    kpar_x half = kpar_x_eq(e, part, constant(e, 0.5));
    kpar_x up = kpar_x_select(e, half, odd, kpar_x_lt(e, constant(e, 0.5), part));
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
    kpar_x y = kpar_x_div(e, rounded(e, times(e, kpar_x_input(e, 0), factor)), constant(e, factor));
    return kpar_lower_apply(lowering, e, y, &x, 1, output);
}

/* --- powers and logarithms --- */

static kpar_x power_of_two(kpar_expression_builder *e, kpar_x x) { return kpar_x_pow(e, constant(e, 2), x); }
static kpar_x times_power_of_two(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    return kpar_x_mul(e, a, power_of_two(e, b));
}
static kpar_x decimal_logarithm(kpar_expression_builder *e, kpar_x x)
{
    return times(e, kpar_x_log(e, x), M_LOG10E);
}
static kpar_x binary_logarithm(kpar_expression_builder *e, kpar_x x)
{
    return times(e, kpar_x_log(e, x), M_LOG2E);
}
/* e^x - 1, exact for small x. */
static kpar_x exponential_less_one(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_mul(e, kpar_x_tanh(e, times(e, x, 0.5)), plus(e, kpar_x_exp(e, x), 1));
}
/* log(e^a + e^b) */
static kpar_x logarithm_of_sum(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    return kpar_x_add(e, a, kpar_x_softplus(e, kpar_x_sub(e, b, a)));
}
static kpar_x binary_logarithm_of_sum(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    return times(e, logarithm_of_sum(e, times(e, a, M_LN2), times(e, b, M_LN2)), M_LOG2E);
}

/* --- angles --- */

static kpar_x tangent(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_div(e, kpar_x_sin(e, x), kpar_x_cos(e, x));
}
static kpar_x cosine_h(kpar_expression_builder *e, kpar_x x)
{
    return times(e, kpar_x_add(e, kpar_x_exp(e, x), kpar_x_exp(e, kpar_x_neg(e, x))), 0.5);
}
static kpar_x sine_h(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_mul(e, kpar_x_tanh(e, x), cosine_h(e, x));
}
static kpar_x arc_sine(kpar_expression_builder *e, kpar_x x)
{
    kpar_x square = kpar_x_mul(e, plus(e, kpar_x_neg(e, x), 1), plus(e, x, 1));
    return kpar_x_atan(e, kpar_x_div(e, x, kpar_x_sqrt(e, square)));
}
static kpar_x arc_cosine(kpar_expression_builder *e, kpar_x x)
{
    return plus(e, kpar_x_neg(e, arc_sine(e, x)), M_PI_2);
}
/* Of the positive part of x: log(x + sqrt(x^2 + 1)), exact for small x. */
static kpar_x arc_sine_h_above(kpar_expression_builder *e, kpar_x x)
{
    kpar_x a = kpar_x_max(e, x, constant(e, 0)), square = kpar_x_square(e, a);
    kpar_x rest = kpar_x_div(e, square, plus(e, kpar_x_sqrt(e, plus(e, square, 1)), 1));
    return kpar_x_log1p(e, kpar_x_add(e, a, rest));
}
static kpar_x arc_sine_h(kpar_expression_builder *e, kpar_x x)
{
    kpar_x below = kpar_x_neg(e, arc_sine_h_above(e, kpar_x_neg(e, x)));
    return kpar_x_select(e, is_negative(e, x), below, arc_sine_h_above(e, x));
}
static kpar_x arc_cosine_h(kpar_expression_builder *e, kpar_x x)
{
    kpar_x root = kpar_x_sqrt(e, kpar_x_mul(e, plus(e, x, -1), plus(e, x, 1)));
    return kpar_x_log(e, kpar_x_add(e, x, root));
}
static kpar_x arc_tangent_h(kpar_expression_builder *e, kpar_x x)
{
    return times(e, kpar_x_sub(e, kpar_x_log1p(e, x), kpar_x_log1p(e, kpar_x_neg(e, x))), 0.5);
}
/* Of the direction (x, y). The quotient that is not taken has the denominator 1. */
static kpar_x direction(kpar_expression_builder *e, kpar_x y, kpar_x x)
{
    kpar_x one = constant(e, 1), steep = kpar_x_lt(e, kpar_x_abs(e, x), kpar_x_abs(e, y));
    kpar_x half_turn = kpar_x_select(e, is_negative(e, y), constant(e, -M_PI), constant(e, M_PI));
    kpar_x flat = kpar_x_atan(e, kpar_x_div(e, y, kpar_x_select(e, steep, one, nonzero(e, x))));
    flat = kpar_x_add(e, flat, kpar_x_select(e, is_negative(e, x), half_turn, constant(e, 0)));
    kpar_x across = kpar_x_atan(e, kpar_x_div(e, x, kpar_x_select(e, steep, y, one)));
    return kpar_x_select(e, steep, kpar_x_sub(e, times(e, half_turn, 0.5), across), flat);
}
/* sin(pi x) / (pi x) */
static kpar_x sine_quotient(kpar_expression_builder *e, kpar_x x)
{
    kpar_x angle = times(e, nonzero(e, x), M_PI);
    return kpar_x_select(e, not(e, x), constant(e, 1), kpar_x_div(e, kpar_x_sin(e, angle), angle));
}
static kpar_x complementary_error(kpar_expression_builder *e, kpar_x x)
{
    return plus(e, kpar_x_neg(e, kpar_x_erf(e, x)), 1);
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
    if (isfinite(low)) value = kpar_x_max(e, value, constant(e, low));
    if (isfinite(high)) value = kpar_x_min(e, value, constant(e, high));
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
    kpar_x bound = plus(e, times(e, kpar_x_abs(e, b), tolerance(lowering, 2, "rtol", 1e-5)),
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

#define UNARY .lower = of_one, .unary
#define BINARY .lower = of_two, .binary

static const kpar_layer_row rows[] = {
    {"Add", "a + b", "", "", BINARY = kpar_x_add},
    {"Subtract", "a - b", "", "", BINARY = kpar_x_sub},
    {"Multiply", "a b", "", "", BINARY = kpar_x_mul},
    {"TrueDivide", "a / b", "", "", BINARY = kpar_x_div},
    {"Divide", "a / b", "", "", BINARY = kpar_x_div},
    {"DivideNoNan", "a / b, 0 where b is 0", "", "", BINARY = quotient_or_zero},
    {"FloorDivide", "a / b, rounded down", "", "", BINARY = whole_quotient},
    {"Mod", "what is left of a / b, with the sign of b", "", "", BINARY = remainder_of},
    {"Fmod", "what is left of a / b, with the sign of a", "", "", BINARY = signed_remainder},
    {"Power", "a^b", "", "", BINARY = kpar_x_pow},
    {"Ldexp", "a 2^b", "", "", BINARY = times_power_of_two},
    {"Maximum", "the larger", "", "", BINARY = kpar_x_max},
    {"Minimum", "the smaller", "", "", BINARY = kpar_x_min},
    {"Fmax", "the larger, of a number and none the number", "", "", BINARY = larger_number},
    {"Fmin", "the smaller, of a number and none the number", "", "", BINARY = smaller_number},
    {"Hypot", "root of the sum of squares", "", "", BINARY = hypotenuse},
    {"Heaviside", "0 below 0, 1 above, b at 0", "", "", BINARY = step},
    {"Arctan2", "the angle of the direction (b, a)", "", "", BINARY = direction},
    {"Logaddexp", "log(e^a + e^b)", "", "", BINARY = logarithm_of_sum},
    {"Logaddexp2", "the same to the base 2", "", "", BINARY = binary_logarithm_of_sum},
    {"Greater", "a > b", "", "", BINARY = greater},
    {"GreaterEqual", "a >= b", "", "", BINARY = greater_equal},
    {"Less", "a < b", "", "", BINARY = kpar_x_lt},
    {"LessEqual", "a <= b", "", "", BINARY = kpar_x_le},
    {"Equal", "a = b", "", "", BINARY = kpar_x_eq},
    {"NotEqual", "a != b", "", "", BINARY = not_equal},
    {"LogicalAnd", "whether both are not 0", "", "", BINARY = both},
    {"LogicalOr", "whether one is not 0", "", "", BINARY = either},
    {"LogicalXor", "whether just one is not 0", "", "", BINARY = one_of},
    {"LogicalNot", "whether it is 0", "", "", UNARY = not },
    {"Isclose", "whether a and b differ little", "equal_nan", "", .lower = is_close,
     .call_arguments = "rtol atol"},
    {"Isnan", "whether it is no number", "", "", UNARY = is_nan},
    {"Isinf", "whether it is infinite", "", "", UNARY = is_infinite},
    {"Isposinf", "whether it is infinite and positive", "", "", UNARY = is_positive_infinity},
    {"Isneginf", "whether it is infinite and negative", "", "", UNARY = is_negative_infinity},
    {"Isfinite", "whether it is a finite number", "", "", UNARY = is_finite},
    {"Signbit", "whether it is below 0", "", "", UNARY = is_negative},
    {"NanToNum", "numbers for infinity and for none", "nan posinf neginf", "", .lower = numbers_for_none},
    {"Negative", "-x", "", "", UNARY = kpar_x_neg},
    {"Absolute", "|x|", "", "", UNARY = kpar_x_abs},
    {"Abs", "|x|", "", "", UNARY = kpar_x_abs},
    {"Fabs", "|x|", "", "", UNARY = kpar_x_abs},
    {"Sign", "-1, 0 or 1", "", "", UNARY = kpar_x_sign},
    {"Square", "x^2", "", "", UNARY = kpar_x_square},
    {"Sqrt", "square root", "", "", UNARY = kpar_x_sqrt},
    {"Cbrt", "cube root", "", "", UNARY = cube_root},
    {"Rsqrt", "1 / square root", "", "", UNARY = inverse_root},
    {"Reciprocal", "1 / x", "", "", UNARY = reciprocal},
    {"Exp", "e^x", "", "", UNARY = kpar_x_exp},
    {"Exp2", "2^x", "", "", UNARY = power_of_two},
    {"Expm1", "e^x - 1", "", "", UNARY = exponential_less_one},
    {"Log", "natural logarithm", "", "", UNARY = kpar_x_log},
    {"Log2", "logarithm to the base 2", "", "", UNARY = binary_logarithm},
    {"Log10", "logarithm to the base 10", "", "", UNARY = decimal_logarithm},
    {"Log1p", "log(1 + x)", "", "", UNARY = kpar_x_log1p},
    {"Sin", "sine", "", "", UNARY = kpar_x_sin},
    {"Cos", "cosine", "", "", UNARY = kpar_x_cos},
    {"Tan", "tangent", "", "", UNARY = tangent},
    {"Arcsin", "the angle whose sine it is", "", "", UNARY = arc_sine},
    {"Arccos", "the angle whose cosine it is", "", "", UNARY = arc_cosine},
    {"Arctan", "the angle whose tangent it is", "", "", UNARY = kpar_x_atan},
    {"Sinh", "hyperbolic sine", "", "", UNARY = sine_h},
    {"Cosh", "hyperbolic cosine", "", "", UNARY = cosine_h},
    {"Tanh", "hyperbolic tangent", "", "", UNARY = kpar_x_tanh},
    {"Arcsinh", "inverse of the hyperbolic sine", "", "", UNARY = arc_sine_h},
    {"Arccosh", "inverse of the hyperbolic cosine", "", "", UNARY = arc_cosine_h},
    {"Arctanh", "inverse of the hyperbolic tangent", "", "", UNARY = arc_tangent_h},
    {"Sinc", "sin(pi x) / (pi x)", "", "", UNARY = sine_quotient},
    {"Deg2rad", "degrees as radians", "", "", UNARY = degrees_to_radians},
    {"Rad2deg", "radians as degrees", "", "", UNARY = radians_to_degrees},
    {"Erf", "error function", "", "", UNARY = kpar_x_erf},
    {"Erfc", "1 - error function", "", "", UNARY = complementary_error},
    {"Floor", "rounded down", "", "", UNARY = kpar_x_floor},
    {"Ceil", "rounded up", "", "", UNARY = ceiling},
    {"Trunc", "rounded towards 0", "", "", UNARY = truncated},
    {"Round", "rounded, a half to the even neighbour", "decimals", "", .lower = round_to},
    {"Clip", "between x_min and x_max", "x_min x_max", "", .lower = clip},
    {"Where", "a where the condition holds, else b", "", "", .lower = where},
    {"Select", "the value at the first condition that holds", "", "", .lower = select_from},
    {"OnesLike", "1 of the same shape", "dtype", "", UNARY = ones},
    {"ZerosLike", "0 of the same shape", "dtype", "", UNARY = zeros},
    {"EmptyLike", "0 of the same shape", "dtype", "", UNARY = zeros},
    {"FullLike", "a value in the same shape", "dtype", "", .lower = filled},
    {"Copy", "its operand", "", "", UNARY = same},
    {"StopGradient", "its operand, as if it were given", "", "", UNARY = kpar_x_stop},
    {"Cast", "as another type", "dtype", "", .lower = as_type},
    {"SaturateCast", "as another type", "dtype", "", .lower = as_type},
    {"ConvertToTensor", "its operand", "dtype sparse", "", .lower = as_type},
};

const kpar_operation_table kpar_operations_by_element = KPAR_OPERATION_TABLE(rows);
