/* Data types, their conversions, host arrays. */
#include "base/memory.h"
#include "tensor/array.h"
#include "tensor/small_float.h"
#include "unit.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

START_TEST(names_of_all_types_read_back)
{
    for (int i = 0; i < KPAR_DTYPE_COUNT; i++) {
        kpar_dtype found;
        ck_assert(kpar_dtype_parse(kpar_dtype_name((kpar_dtype)i), &found));
        ck_assert_int_eq(found, i);
    }
    kpar_dtype untouched = KPAR_I8;
    ck_assert(!kpar_dtype_parse("float23", &untouched));
    ck_assert_int_eq(untouched, KPAR_I8);
}
END_TEST

START_TEST(small_integers_survive_every_pair_of_types)
{
    static const double values[] = {0, 1, 2, 100, 127};
    enum { COUNT = 5 };
    for (int from = 0; from < KPAR_DTYPE_COUNT; from++) {
        for (int to = 0; to < KPAR_DTYPE_COUNT; to++) {
            unsigned char source[COUNT * 8], target[COUNT * 8];
            double back[COUNT];
            kpar_convert(source, (kpar_dtype)from, values, KPAR_F64, COUNT);
            kpar_convert(target, (kpar_dtype)to, source, (kpar_dtype)from, COUNT);
            kpar_convert(back, KPAR_F64, target, (kpar_dtype)to, COUNT);
            for (int i = 0; i < COUNT; i++) {
                bool is_bool = from == KPAR_BOOL || to == KPAR_BOOL;
                double expected = is_bool ? values[i] != 0 : values[i];
                ck_assert_msg(back[i] == expected, "%s to %s: %g became %g",
                              kpar_dtype_name((kpar_dtype)from), kpar_dtype_name((kpar_dtype)to), values[i],
                              back[i]);
            }
        }
    }
}
END_TEST

START_TEST(float16_rounds_to_nearest_even_once)
{
    static const struct {
        double value;
        uint16_t bits;
    } cases[] = {
        {1, 0x3C00},
        {-2, 0xC000},
        {-0.0, 0x8000},
        {65504, 0x7BFF},
        {65519.99, 0x7BFF},
        {65520, 0x7C00}, /* halfway to 2^16 goes to even, which is infinity */
        {1e300, 0x7C00},
        {-1e300, 0xFC00},
        {1 + 0x1p-11, 0x3C00},           /* halfway: to even, down */
        {1 + 3 * 0x1p-11, 0x3C02},       /* halfway: to even, up */
        {1 + 0x1p-11 + 0x1p-40, 0x3C01}, /* above halfway, lost if rounded to float32 first */
        {0x1p-14, 0x0400},
        {0x1p-24, 0x0001},
        {0x1p-25, 0x0000},
        {3 * 0x1p-26, 0x0001},
        {0x1p-14 - 0x1p-26, 0x0400}, /* the largest subnormal rounds up to the smallest normal */
        {5e-324, 0x0000},
        {INFINITY, 0x7C00},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_msg(kpar_float16_from_double(cases[i].value) == cases[i].bits,
                      "%a becomes %04x, expected %04x", cases[i].value,
                      kpar_float16_from_double(cases[i].value), cases[i].bits);
}
END_TEST

START_TEST(bfloat16_rounds_to_nearest_even)
{
    static const struct {
        double value;
        uint16_t bits;
    } cases[] = {
        {1, 0x3F80},         {1 + 0x1p-8, 0x3F80}, {1 + 3 * 0x1p-8, 0x3F82}, {1 + 0x1p-8 + 0x1p-50, 0x3F81},
        {FLT_MAX, 0x7F80},   {0x1.FEp127, 0x7F7F}, {0x1p-133, 0x0001},       {0x1p-126, 0x0080},
        {-0x1p-126, 0x8080}, {-INFINITY, 0xFF80},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_msg(kpar_bfloat16_from_double(cases[i].value) == cases[i].bits,
                      "%a becomes %04x, expected %04x", cases[i].value,
                      kpar_bfloat16_from_double(cases[i].value), cases[i].bits);
}
END_TEST

static bool is_nan16(uint16_t bits, uint16_t infinity) { return (bits & 0x7FFF) > infinity; }

static bool survives(uint16_t bits, uint16_t infinity, double wide, uint16_t back)
{
    return is_nan16(bits, infinity) ? isnan(wide) && is_nan16(back, infinity) : back == bits;
}

START_TEST(every_sixteen_bit_float_goes_to_double_and_back)
{
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        uint16_t half = (uint16_t)bits;
        double f16 = kpar_double_from_float16(half), bf16 = kpar_double_from_bfloat16(half);
        bool kept = survives(half, 0x7C00, f16, kpar_float16_from_double(f16)) &&
                    survives(half, 0x7F80, bf16, kpar_bfloat16_from_double(bf16));
        if (!kept) ck_abort_msg("%04x is %a as float16, %a as bfloat16", bits, f16, bf16);
    }
}
END_TEST

START_TEST(bfloat16_is_the_upper_half_of_a_float)
{
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        uint32_t word = bits << 16;
        float expected;
        memcpy(&expected, &word, sizeof expected);
        double found = kpar_double_from_bfloat16((uint16_t)bits);
        if (!isnan(expected) && found != (double)expected) ck_abort_msg("%04x is %a", bits, found);
    }
}
END_TEST

START_TEST(nan_stays_nan_among_floats_is_zero_as_integer_and_true_as_bool)
{
    double nan = NAN;
    float f32;
    uint16_t half;
    int32_t i32 = 7;
    unsigned char truth = 0;
    kpar_convert(&f32, KPAR_F32, &nan, KPAR_F64, 1);
    ck_assert_float_nan(f32);
    kpar_convert(&half, KPAR_F16, &f32, KPAR_F32, 1);
    ck_assert_uint_eq(half & 0x7FFF, 0x7E00);
    kpar_convert(&i32, KPAR_I32, &nan, KPAR_F64, 1);
    ck_assert_int_eq(i32, 0);
    kpar_convert(&truth, KPAR_BOOL, &nan, KPAR_F64, 1);
    ck_assert_int_eq(truth, 1);
}
END_TEST

START_TEST(integers_of_64_bits_are_exact_among_themselves)
{
    static const int64_t values[] = {INT64_MAX, INT64_MIN, (INT64_C(1) << 53) + 1, -((INT64_C(1) << 53) + 1)};
    for (size_t i = 0; i < 4; i++) {
        uint64_t wide;
        int64_t back;
        kpar_convert(&wide, KPAR_U64, &values[i], KPAR_I64, 1);
        kpar_convert(&back, KPAR_I64, &wide, KPAR_U64, 1);
        ck_assert_int_eq(back, values[i]);
    }
    int64_t only_high_bits = INT64_C(1) << 40;
    unsigned char truth, low = 9;
    kpar_convert(&truth, KPAR_BOOL, &only_high_bits, KPAR_I64, 1);
    ck_assert_int_eq(truth, 1);
    kpar_convert(&low, KPAR_U8, &only_high_bits, KPAR_I64, 1);
    ck_assert_int_eq(low, 0);
}
END_TEST

START_TEST(reals_beyond_an_integer_type_stop_at_its_ends)
{
    static const double values[] = {300, -300, 1e30, -1e30, -0.99, 127.99, INFINITY};
    int8_t i8[7];
    uint64_t u64[7];
    int64_t i64[7];
    kpar_convert(i8, KPAR_I8, values, KPAR_F64, 7);
    kpar_convert(u64, KPAR_U64, values, KPAR_F64, 7);
    kpar_convert(i64, KPAR_I64, values, KPAR_F64, 7);
    static const int8_t expected[] = {127, -128, 127, -128, 0, 127, 127};
    for (int i = 0; i < 7; i++) ck_assert_int_eq(i8[i], expected[i]);
    ck_assert_uint_eq(u64[0], 300);
    ck_assert_uint_eq(u64[1], 0);
    ck_assert_uint_eq(u64[2], UINT64_MAX);
    ck_assert_int_eq(i64[2], INT64_MAX);
    ck_assert_int_eq(i64[3], INT64_MIN);
}
END_TEST

START_TEST(any_byte_but_zero_is_true_and_becomes_one)
{
    static const unsigned char bytes[] = {0, 1, 2, 255};
    unsigned char same[4];
    float f32[4];
    kpar_convert(same, KPAR_BOOL, bytes, KPAR_BOOL, 4);
    kpar_convert(f32, KPAR_F32, bytes, KPAR_BOOL, 4);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(same[i], i > 0);
        ck_assert_float_eq(f32[i], (float)(i > 0));
    }
}
END_TEST

START_TEST(long_and_unaligned_runs_are_converted_to_the_last_element)
{
    enum { COUNT = 1537 };
    unsigned char *source = malloc(COUNT * sizeof(int16_t) + 1), *target = malloc(COUNT * sizeof(float) + 1);
    for (int i = 0; i < COUNT; i++) {
        int16_t value = (int16_t)(i - 700);
        memcpy(source + 1 + (size_t)i * sizeof value, &value, sizeof value);
    }
    kpar_convert(target + 1, KPAR_F32, source + 1, KPAR_I16, COUNT);
    for (int i = 0; i < COUNT; i++) {
        float value;
        memcpy(&value, target + 1 + (size_t)i * sizeof value, sizeof value);
        ck_assert_float_eq(value, (float)(i - 700));
    }
    free(source);
    free(target);
}
END_TEST

START_TEST(an_array_is_created_zeroed_and_leaves_nothing_behind)
{
    size_t live = kpar_alloc_live();
    kpar_array array;
    ck_assert_int_eq(kpar_array_create(&array, KPAR_F32, 2, (int64_t[]){3, 4}), KPAR_OK);
    ck_assert_int_eq(kpar_array_count(&array), 12);
    for (int i = 0; i < 12; i++) ck_assert_float_eq(((float *)array.data)[i], 0);
    kpar_array_destroy(&array);
    kpar_array_destroy(&array);
    ck_assert_int_eq(kpar_array_create(&array, KPAR_I64, 0, NULL), KPAR_OK);
    ck_assert_int_eq(kpar_array_count(&array), 1);
    kpar_array_destroy(&array);
    ck_assert_int_eq(kpar_array_create(&array, KPAR_I64, 2, (int64_t[]){0, 5}), KPAR_OK);
    ck_assert_int_eq(kpar_array_count(&array), 0);
    kpar_array_destroy(&array);
    ck_assert_uint_eq(kpar_alloc_live(), live);
}
END_TEST

START_TEST(impossible_shapes_are_refused_with_the_shape)
{
    kpar_array array;
    int64_t large = INT64_C(1) << 40;
    ck_assert_int_eq(kpar_array_create(&array, KPAR_F32, 2, (int64_t[]){large, large}), KPAR_ENOMEM);
    ck_assert_ptr_nonnull(strstr(kpar_error_message(), "(1099511627776, 1099511627776)"));
    kpar_array_destroy(&array);
    ck_assert_int_eq(kpar_array_create(&array, KPAR_F32, 2, (int64_t[]){3, -1}), KPAR_EFORMAT);
    ck_assert_ptr_nonnull(strstr(kpar_error_message(), "(3, -1)"));
    ck_assert_int_eq(kpar_array_create(&array, KPAR_F32, KPAR_MAX_RANK + 1, (int64_t[9]){0}), KPAR_EFORMAT);
}
END_TEST

START_TEST(shapes_are_written_like_tuples)
{
    char text[KPAR_SHAPE_TEXT];
    int64_t most[KPAR_MAX_RANK];
    for (int i = 0; i < KPAR_MAX_RANK; i++) most[i] = INT64_MIN;
    ck_assert_str_eq(kpar_shape_text(text, 2, (int64_t[]){3, 4}), "(3, 4)");
    ck_assert_str_eq(kpar_shape_text(text, 1, (int64_t[]){3}), "(3,)");
    ck_assert_str_eq(kpar_shape_text(text, 0, NULL), "()");
    ck_assert_uint_eq(strlen(kpar_shape_text(text, KPAR_MAX_RANK, most)), KPAR_SHAPE_TEXT - 1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        names_of_all_types_read_back,
        small_integers_survive_every_pair_of_types,
        float16_rounds_to_nearest_even_once,
        bfloat16_rounds_to_nearest_even,
        every_sixteen_bit_float_goes_to_double_and_back,
        bfloat16_is_the_upper_half_of_a_float,
        nan_stays_nan_among_floats_is_zero_as_integer_and_true_as_bool,
        integers_of_64_bits_are_exact_among_themselves,
        reals_beyond_an_integer_type_stop_at_its_ends,
        any_byte_but_zero_is_true_and_becomes_one,
        long_and_unaligned_runs_are_converted_to_the_last_element,
        an_array_is_created_zeroed_and_leaves_nothing_behind,
        impossible_shapes_are_refused_with_the_shape,
        shapes_are_written_like_tuples,
    };
    Suite *suite = suite_create("tensor");
    TCase *all = tcase_create("tensor");
    tcase_set_timeout(all, 0); /* none: a loaded machine is no failure */
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) tcase_add_test(all, tests[i]);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
