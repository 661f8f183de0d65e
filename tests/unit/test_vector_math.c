/* The float functions of the CPU device against the C library in double: errors in units in the last place, and
 * the values at the ends of their ranges. */
#include "device/cpu/vector_math.h"
#include "unit.h"

#include <check.h>
#include <float.h>
#include <stdlib.h>

/* Distance of `found` from the exact value, in units in the last place of the float nearest to it. Where the
 * result is below the normal range, zero will do. */
static double distance(float found, double exact)
{
    if (isnan(exact)) return isnan(found) ? 0 : INFINITY;
    if (fabs(exact) < FLT_MIN && fabs((double)found) <= FLT_MIN) return 0;
    if (isinf(exact) || fabs(exact) > (double)FLT_MAX)
        return (double)found == (exact > 0 ? INFINITY : -INFINITY) ? 0 : INFINITY;
    int exponent;
    frexp(exact, &exponent);
    return fabs((double)found - exact) / ldexp(1, exponent - FLT_MANT_DIG);
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static const struct {
    const char *name;
    float (*function)(float);
    double (*exact)(double);
    double units; /* allowed */
    float most;   /* for arguments up to this */
} unary[] = {
    {"exp", kpar_exp_f32, exp, 1.5, INFINITY},
    {"log", kpar_log_f32, log, 1.5, INFINITY},
    {"log1p", kpar_log1p_f32, log1p, 2.5, INFINITY},
    {"tanh", kpar_tanh_f32, tanh, 2.5, INFINITY},
    {"erf", kpar_erf_f32, erf, 2.5, INFINITY},
    {"sigmoid", kpar_sigmoid_f32, sigmoid, 3, INFINITY},
    {"sin", kpar_sin_f32, sin, 1, 1e8f},
    {"cos", kpar_cos_f32, cos, 1, 1e8f},
    {"atan", kpar_atan_f32, atan, 1, INFINITY},
};

static void check_unary(size_t f, float x)
{
    if (isfinite(x) && fabsf(x) > unary[f].most) return;
    const float found = unary[f].function(x);
    const double exact = unary[f].exact((double)x), units = distance(found, exact);
    if (!(units <= unary[f].units))
        ck_abort_msg("%s(%.9g) = %.9g, expected %.9g: %.2f units", unary[f].name, (double)x, (double)found,
                     exact, units);
}

/* Every sign and exponent, with mantissas in between; subnormal numbers count as zero. */
START_TEST(functions_are_within_units_of_the_exact_value)
{
    for (uint64_t bits = 0; bits < UINT64_C(1) << 32; bits += 8191) {
        const float x = kpar_f32_bits((uint32_t)bits);
        if (x != 0 && fabsf(x) < FLT_MIN) continue;
        check_unary((size_t)_i, x);
    }
}
END_TEST

START_TEST(functions_are_accurate_where_they_are_used)
{
    for (int i = -200000; i <= 200000; i++) check_unary((size_t)_i, (float)i * 6e-5f);
}
END_TEST

START_TEST(functions_of_special_values_are_those_of_the_c_library)
{
    const float special[] = {0.0f,    -0.0f,    1,       -1,     INFINITY, -INFINITY, NAN,
                             FLT_MAX, -FLT_MAX, FLT_MIN, 88.72f, 88.73f,   -87.33f,   -87.34f};
    for (size_t i = 0; i < sizeof special / sizeof *special; i++) check_unary((size_t)_i, special[i]);
}
END_TEST

static void check_power(float x, float y)
{
    const float found = kpar_pow_f32(x, y);
    const double exact = pow((double)x, (double)y), units = distance(found, exact);
    if (!(units <= 1))
        ck_abort_msg("pow(%.9g, %.9g) = %.9g, expected %.9g", (double)x, (double)y, (double)found, exact);
}

START_TEST(powers_are_within_a_unit_of_the_exact_value)
{
    for (int i = 1; i < 2000; i++)
        for (int k = -150; k < 150; k++) check_power((float)i * 0.0137f, (float)k * 0.21f);
}
END_TEST

START_TEST(powers_of_special_values_are_those_of_the_c_library)
{
    const float special[] = {0.0f,  -0.0f, 1,     -1,     2,        -2,       3,         -3, 0.5f,
                             -0.5f, 2.5f,  1e30f, -1e30f, 16777216, INFINITY, -INFINITY, NAN};
    const size_t n = sizeof special / sizeof *special;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) check_power(special[i], special[k]);
}
END_TEST

int main(void)
{
    const int functions = (int)(sizeof unary / sizeof *unary);
    Suite *s = suite_create("vector_math");
    TCase *cases = tcase_create("functions");
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, functions_are_within_units_of_the_exact_value, 0, functions);
    tcase_add_loop_test(cases, functions_are_accurate_where_they_are_used, 0, functions);
    tcase_add_loop_test(cases, functions_of_special_values_are_those_of_the_c_library, 0, functions);
    tcase_add_test(cases, powers_are_within_a_unit_of_the_exact_value);
    tcase_add_test(cases, powers_of_special_values_are_those_of_the_c_library);
    suite_add_tcase(s, cases);
    return run_suite(s);
}
