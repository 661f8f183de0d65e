/* Operations that are elementary functions: powers, logarithms, angles, a formula each. */
#include "model/operations.h"

#include <math.h>

static kpar_x is_negative(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_lt(e, x, kpar_x_constant(e, 0));
}
static kpar_x is_zero(kpar_expression_builder *e, kpar_x x) { return kpar_x_eq(e, x, kpar_x_constant(e, 0)); }
/* 1 where x is 0, to divide by. */
static kpar_x nonzero(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_select(e, is_zero(e, x), kpar_x_constant(e, 1), x);
}

/* --- powers and logarithms --- */

static kpar_x inverse_root(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_div(e, kpar_x_constant(e, 1), kpar_x_sqrt(e, x));
}
static kpar_x cube_root(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_mul(e, kpar_x_sign(e, x), kpar_x_pow(e, kpar_x_abs(e, x), kpar_x_constant(e, 1.0 / 3)));
}
static kpar_x degrees_to_radians(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_times(e, x, M_PI / 180);
}
static kpar_x radians_to_degrees(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_times(e, x, 180 / M_PI);
}
static kpar_x hypotenuse(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    return kpar_x_sqrt(e, kpar_x_add(e, kpar_x_square(e, a), kpar_x_square(e, b)));
}
static kpar_x power_of_two(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_pow(e, kpar_x_constant(e, 2), x);
}
static kpar_x times_power_of_two(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    return kpar_x_mul(e, a, power_of_two(e, b));
}
static kpar_x decimal_logarithm(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_times(e, kpar_x_log(e, x), M_LOG10E);
}
static kpar_x binary_logarithm(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_times(e, kpar_x_log(e, x), M_LOG2E);
}
/* e^x - 1, exact for small x. */
static kpar_x exponential_less_one(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_mul(e, kpar_x_tanh(e, kpar_x_times(e, x, 0.5)), kpar_x_plus(e, kpar_x_exp(e, x), 1));
}
/* log(e^a + e^b) */
static kpar_x logarithm_of_sum(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    return kpar_x_add(e, a, kpar_x_softplus(e, kpar_x_sub(e, b, a)));
}
static kpar_x binary_logarithm_of_sum(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    return kpar_x_times(e, logarithm_of_sum(e, kpar_x_times(e, a, M_LN2), kpar_x_times(e, b, M_LN2)),
                        M_LOG2E);
}

/* --- angles --- */

static kpar_x tangent(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_div(e, kpar_x_sin(e, x), kpar_x_cos(e, x));
}
static kpar_x cosine_h(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_times(e, kpar_x_add(e, kpar_x_exp(e, x), kpar_x_exp(e, kpar_x_neg(e, x))), 0.5);
}
static kpar_x sine_h(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_mul(e, kpar_x_tanh(e, x), cosine_h(e, x));
}
static kpar_x arc_sine(kpar_expression_builder *e, kpar_x x)
{
    kpar_x square = kpar_x_mul(e, kpar_x_plus(e, kpar_x_neg(e, x), 1), kpar_x_plus(e, x, 1));
    return kpar_x_atan(e, kpar_x_div(e, x, kpar_x_sqrt(e, square)));
}
static kpar_x arc_cosine(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_plus(e, kpar_x_neg(e, arc_sine(e, x)), M_PI_2);
}
/* Of the positive part of x: log(x + sqrt(x^2 + 1)), exact for small x. */
static kpar_x arc_sine_h_above(kpar_expression_builder *e, kpar_x x)
{
    kpar_x a = kpar_x_max(e, x, kpar_x_constant(e, 0)), square = kpar_x_square(e, a);
    kpar_x rest = kpar_x_div(e, square, kpar_x_plus(e, kpar_x_sqrt(e, kpar_x_plus(e, square, 1)), 1));
    return kpar_x_log1p(e, kpar_x_add(e, a, rest));
}
static kpar_x arc_sine_h(kpar_expression_builder *e, kpar_x x)
{
    kpar_x below = kpar_x_neg(e, arc_sine_h_above(e, kpar_x_neg(e, x)));
    return kpar_x_select(e, is_negative(e, x), below, arc_sine_h_above(e, x));
}
static kpar_x arc_cosine_h(kpar_expression_builder *e, kpar_x x)
{
    kpar_x root = kpar_x_sqrt(e, kpar_x_mul(e, kpar_x_plus(e, x, -1), kpar_x_plus(e, x, 1)));
    return kpar_x_log(e, kpar_x_add(e, x, root));
}
static kpar_x arc_tangent_h(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_times(e, kpar_x_sub(e, kpar_x_log1p(e, x), kpar_x_log1p(e, kpar_x_neg(e, x))), 0.5);
}
/* Of the direction (x, y). The quotient that is not taken has the denominator 1. */
static kpar_x direction(kpar_expression_builder *e, kpar_x y, kpar_x x)
{
    kpar_x one = kpar_x_constant(e, 1), steep = kpar_x_lt(e, kpar_x_abs(e, x), kpar_x_abs(e, y));
    kpar_x half_turn =
        kpar_x_select(e, is_negative(e, y), kpar_x_constant(e, -M_PI), kpar_x_constant(e, M_PI));
    kpar_x flat = kpar_x_atan(e, kpar_x_div(e, y, kpar_x_select(e, steep, one, nonzero(e, x))));
    flat = kpar_x_add(e, flat, kpar_x_select(e, is_negative(e, x), half_turn, kpar_x_constant(e, 0)));
    kpar_x across = kpar_x_atan(e, kpar_x_div(e, x, kpar_x_select(e, steep, y, one)));
    return kpar_x_select(e, steep, kpar_x_sub(e, kpar_x_times(e, half_turn, 0.5), across), flat);
}
/* sin(pi x) / (pi x) */
static kpar_x sine_quotient(kpar_expression_builder *e, kpar_x x)
{
    kpar_x angle = kpar_x_times(e, nonzero(e, x), M_PI);
    return kpar_x_select(e, is_zero(e, x), kpar_x_constant(e, 1), kpar_x_div(e, kpar_x_sin(e, angle), angle));
}
static kpar_x complementary_error(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_plus(e, kpar_x_neg(e, kpar_x_erf(e, x)), 1);
}

static const kpar_layer_row rows[] = {
    {"Power", "a^b", "", "", KPAR_BINARY = kpar_x_pow},
    {"Ldexp", "a 2^b", "", "", KPAR_BINARY = times_power_of_two},
    {"Hypot", "root of the sum of squares", "", "", KPAR_BINARY = hypotenuse},
    {"Arctan2", "the angle of the direction (b, a)", "", "", KPAR_BINARY = direction},
    {"Logaddexp", "log(e^a + e^b)", "", "", KPAR_BINARY = logarithm_of_sum},
    {"Logaddexp2", "the same to the base 2", "", "", KPAR_BINARY = binary_logarithm_of_sum},
    {"Sqrt", "square root", "", "", KPAR_UNARY = kpar_x_sqrt},
    {"Cbrt", "cube root", "", "", KPAR_UNARY = cube_root},
    {"Rsqrt", "1 / square root", "", "", KPAR_UNARY = inverse_root},
    {"Exp", "e^x", "", "", KPAR_UNARY = kpar_x_exp},
    {"Exp2", "2^x", "", "", KPAR_UNARY = power_of_two},
    {"Expm1", "e^x - 1", "", "", KPAR_UNARY = exponential_less_one},
    {"Log", "natural logarithm", "", "", KPAR_UNARY = kpar_x_log},
    {"Log2", "logarithm to the base 2", "", "", KPAR_UNARY = binary_logarithm},
    {"Log10", "logarithm to the base 10", "", "", KPAR_UNARY = decimal_logarithm},
    {"Log1p", "log(1 + x)", "", "", KPAR_UNARY = kpar_x_log1p},
    {"Sin", "sine", "", "", KPAR_UNARY = kpar_x_sin},
    {"Cos", "cosine", "", "", KPAR_UNARY = kpar_x_cos},
    {"Tan", "tangent", "", "", KPAR_UNARY = tangent},
    {"Arcsin", "the angle whose sine it is", "", "", KPAR_UNARY = arc_sine},
    {"Arccos", "the angle whose cosine it is", "", "", KPAR_UNARY = arc_cosine},
    {"Arctan", "the angle whose tangent it is", "", "", KPAR_UNARY = kpar_x_atan},
    {"Sinh", "hyperbolic sine", "", "", KPAR_UNARY = sine_h},
    {"Cosh", "hyperbolic cosine", "", "", KPAR_UNARY = cosine_h},
    {"Tanh", "hyperbolic tangent", "", "", KPAR_UNARY = kpar_x_tanh},
    {"Arcsinh", "inverse of the hyperbolic sine", "", "", KPAR_UNARY = arc_sine_h},
    {"Arccosh", "inverse of the hyperbolic cosine", "", "", KPAR_UNARY = arc_cosine_h},
    {"Arctanh", "inverse of the hyperbolic tangent", "", "", KPAR_UNARY = arc_tangent_h},
    {"Sinc", "sin(pi x) / (pi x)", "", "", KPAR_UNARY = sine_quotient},
    {"Deg2rad", "degrees as radians", "", "", KPAR_UNARY = degrees_to_radians},
    {"Rad2deg", "radians as degrees", "", "", KPAR_UNARY = radians_to_degrees},
    {"Erf", "error function", "", "", KPAR_UNARY = kpar_x_erf},
    {"Erfc", "1 - error function", "", "", KPAR_UNARY = complementary_error},
};

const kpar_operation_table kpar_operations_of_functions = KPAR_OPERATION_TABLE(rows);
