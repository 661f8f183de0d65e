/* Expressions: building, meaning, derivatives, text. */
#include "graph/expression.h"
#include "unit.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static kpar_arena *arena;

static void set_up(void) { arena = kpar_arena_create(); }

static void tear_down(void) { kpar_arena_destroy(arena); }

/* op(x0, x1, x2) with one output. */
static const kpar_expression *single(kpar_scalar_op op)
{
    int operands = kpar_scalar_operands(op);
    kpar_expression_builder *e = kpar_expression_begin(operands > 0 ? operands : 1);
    kpar_x x[3] = {0}, y;
    for (int i = 0; i < operands; i++) x[i] = kpar_x_input(e, i);
    if (op == KPAR_SCALAR_INPUT)
        y = kpar_x_input(e, 0);
    else if (op == KPAR_SCALAR_CONSTANT)
        y = kpar_x_constant(e, 0.1);
    else if (operands == 1)
        y = kpar_x_unary(e, op, x[0]);
    else if (operands == 2)
        y = kpar_x_binary(e, op, x[0], x[1]);
    else
        y = kpar_x_select(e, x[0], x[1], x[2]);
    return kpar_expression_end(e, arena, &y, 1);
}

static double evaluate_one(const kpar_expression *e, const double *inputs)
{
    double y;
    kpar_expression_evaluate(e, inputs, &y);
    return y;
}

static const char *text_of(const kpar_expression *e)
{
    kpar_text text = {0};
    kpar_expression_print(&text, e);
    const char *kept = kpar_arena_strdup(arena, kpar_text_get(&text));
    kpar_text_clear(&text);
    return kept;
}

static const kpar_expression *parsed(const char *text)
{
    const kpar_expression *e = NULL;
    ck_assert_msg(kpar_expression_parse(&text, arena, &e) == KPAR_OK, "%s", kpar_error_message());
    ck_assert_str_eq(text, "");
    return e;
}

/* d output / d input `by` by central differences. */
static double difference(const kpar_expression *e, int output, int by, const double *at)
{
    enum { ROOM = 8 };
    const double h = 1e-5;
    double moved[ROOM], up[ROOM], down[ROOM];
    memcpy(moved, at, (size_t)e->n_inputs * sizeof *at);
    moved[by] = at[by] + h;
    kpar_expression_evaluate(e, moved, up);
    moved[by] = at[by] - h;
    kpar_expression_evaluate(e, moved, down);
    return (up[output] - down[output]) / (2 * h);
}

/* The symbolic derivatives of `output` by all inputs, times `seed`. */
static void derivatives(const kpar_expression *e, int output, double seed, const double *at, double *slopes)
{
    enum { ROOM = 8 };
    bool wanted[ROOM];
    double inputs[2 * ROOM + 1];
    for (int i = 0; i < e->n_inputs; i++) wanted[i] = true;
    const kpar_expression *d = kpar_expression_derivative(e, arena, output, wanted);
    ck_assert_int_eq(d->n_inputs, e->n_inputs + e->n_outputs + 1);
    ck_assert_int_eq(d->n_outputs, e->n_inputs);
    memcpy(inputs, at, (size_t)e->n_inputs * sizeof *at);
    kpar_expression_evaluate(e, at, inputs + e->n_inputs);
    inputs[e->n_inputs + e->n_outputs] = seed;
    kpar_expression_evaluate(d, inputs, slopes);
}

static void check_against_differences(const kpar_expression *e, int output, const double *at)
{
    enum { ROOM = 8 };
    double slopes[ROOM];
    derivatives(e, output, 3, at, slopes);
    for (int i = 0; i < e->n_inputs; i++) {
        double expected = 3 * difference(e, output, i, at);
        ck_assert_msg(fabs(slopes[i] - expected) <= 1e-7 * (1 + fabs(expected)),
                      "%s: derivative by input %d at (%g, ...) is %.12g, differences say %.12g", text_of(e),
                      i, at[0], slopes[i], expected);
    }
}

START_TEST(derivative_of_every_op_agrees_with_central_differences)
{
    /* away from kinks, and where every function is defined: also for log and pow */
    static const double points[][3] = {{0.3, 0.7, -1.2}, {1.4, 0.6, 2.5}, {2.7, 3.1, 0.4}, {0.05, 1.9, 8}};
    static const double negative[][3] = {{-0.3, 0.7, 1}, {-1.7, -2.4, 3}, {-3.2, 1.1, -0.5}};
    for (int op = 0; op < KPAR_SCALAR_COUNT; op++) {
        const kpar_expression *e = single((kpar_scalar_op)op);
        if (op == KPAR_SCALAR_STOP) continue; /* it differs from them on purpose */
        for (size_t i = 0; i < sizeof points / sizeof *points; i++)
            check_against_differences(e, 0, points[i]);
        bool positive_only = op == KPAR_SCALAR_LOG || op == KPAR_SCALAR_LOG1P ||
                             op == KPAR_SCALAR_SQUARE_ROOT || op == KPAR_SCALAR_POWER;
        if (positive_only) continue;
        for (size_t i = 0; i < sizeof negative / sizeof *negative; i++)
            check_against_differences(e, 0, negative[i]);
    }
}
END_TEST

START_TEST(derivatives_of_formulas_agree_with_central_differences)
{
    static const char *formulas[] = {
        /* gelu; swish with a slope; log-cosh; a shared subterm; a base that is a constant; a power as in
           schedules */
        "{1: input 0; const 0.70710678118654757; mul %0 %1; erf %2; const 1; add %3 %4; mul %0 %5; const "
        "0.5; mul %6 "
        "%7 -> %8}",
        "{2: input 0; input 1; mul %0 %1; sigmoid %2; mul %0 %3 -> %4}",
        "{1: input 0; exp %0; neg %0; exp %2; add %1 %3; const 0.5; mul %4 %5; log %6 -> %7}",
        "{2: input 0; input 1; mul %0 %1; tanh %2; square %2; add %3 %4; div %5 %2 -> %6}",
        "{1: input 0; const 0.96; pow %1 %0 -> %2}",
        "{2: input 0; input 1; sub %0 %1; abs %2; const 1; le %3 %4; square %2; const 0.5; mul %6 %7; sub %3 "
        "%7; "
        "select %5 %8 %9 -> %10}",
        "{2: input 0; mul %0 %0; mul %1 %0; max %2 %1; min %3 %0 -> %4}",
    };
    static const double points[][2] = {{0.3, 0.7}, {1.4, 0.6}, {2.7, 3.1}};
    for (size_t f = 0; f < sizeof formulas / sizeof *formulas; f++)
        for (size_t i = 0; i < 3; i++) check_against_differences(parsed(formulas[f]), 0, points[i]);
}
END_TEST

START_TEST(derivative_of_any_output_may_read_the_other_outputs)
{
    const kpar_expression *e = parsed("{2: input 0; input 1; tanh %0; mul %2 %1; exp %3 -> %2 %4 %3}");
    static const double at[2] = {0.4, -1.3};
    for (int output = 0; output < 3; output++) check_against_differences(e, output, at);
}
END_TEST

START_TEST(second_derivative_agrees_with_central_differences)
{
    const kpar_expression *e = parsed("{1: input 0; sigmoid %0; mul %0 %1; log1p %1; add %2 %3 -> %4}");
    const kpar_expression *d = kpar_expression_derivative(e, arena, 0, (bool[]){true});
    check_against_differences(d, 0, (double[]){0.8, 0, 1});
}
END_TEST

static bool derivative_reads_input(kpar_scalar_op op)
{
    const kpar_expression *d = kpar_expression_derivative(single(op), arena, 0, (bool[]){true});
    return kpar_expression_reads(d, 0);
}

START_TEST(derivative_is_written_in_terms_of_the_output_where_that_is_shorter)
{
    static const kpar_scalar_op by_output[] = {KPAR_SCALAR_RELU, KPAR_SCALAR_TANH, KPAR_SCALAR_SIGMOID,
                                               KPAR_SCALAR_EXP, KPAR_SCALAR_SQUARE_ROOT};
    for (size_t i = 0; i < sizeof by_output / sizeof *by_output; i++)
        ck_assert_msg(!derivative_reads_input(by_output[i]), "%s' reads x", kpar_scalar_name(by_output[i]));
    ck_assert(derivative_reads_input(KPAR_SCALAR_SQUARE));
    ck_assert(derivative_reads_input(KPAR_SCALAR_LOG));
    const kpar_expression *d = kpar_expression_derivative(single(KPAR_SCALAR_RELU), arena, 0, (bool[]){true});
    ck_assert_str_eq(text_of(d), "{3: const 0; input 1; lt %0 %1; input 2; select %2 %3 %0 -> %4}");
}
END_TEST

START_TEST(an_inner_relu_is_rebuilt_from_the_input)
{
    const kpar_expression *e = parsed("{1: input 0; relu %0; square %1; exp %2 -> %3}");
    const kpar_expression *d = kpar_expression_derivative(e, arena, 0, (bool[]){true});
    ck_assert(kpar_expression_reads(d, 0));
    check_against_differences(e, 0, (double[]){0.6});
}
END_TEST

START_TEST(only_wanted_inputs_get_a_derivative_in_their_order)
{
    const kpar_expression *e = parsed("{3: input 0; input 1; input 2; mul %0 %1; mul %3 %2 -> %4}");
    const kpar_expression *d = kpar_expression_derivative(e, arena, 0, (bool[]){true, false, true});
    double got[2];
    ck_assert_int_eq(d->n_outputs, 2);
    kpar_expression_evaluate(d, (double[]){2, 3, 5, 30, 1}, got);
    ck_assert_double_eq(got[0], 15);
    ck_assert_double_eq(got[1], 6);
}
END_TEST

START_TEST(derivative_by_an_input_that_is_not_read_is_zero)
{
    const kpar_expression *e = parsed("{2: input 0; exp %0 -> %1}");
    const kpar_expression *d = kpar_expression_derivative(e, arena, 0, (bool[]){false, true});
    ck_assert_str_eq(text_of(d), "{4: const 0 -> %0}");
}
END_TEST

START_TEST(at_kinks_the_derivative_is_that_of_tensorflow)
{
    double by[3];
    derivatives(single(KPAR_SCALAR_RELU), 0, 1, (double[]){0}, by);
    ck_assert_double_eq(by[0], 0);
    derivatives(single(KPAR_SCALAR_ABSOLUTE), 0, 1, (double[]){0}, by);
    ck_assert_double_eq(by[0], 0);
    derivatives(single(KPAR_SCALAR_MAXIMUM), 0, 1, (double[]){2, 2}, by);
    ck_assert_double_eq(by[0], 1);
    ck_assert_double_eq(by[1], 0);
    derivatives(single(KPAR_SCALAR_MINIMUM), 0, 1, (double[]){2, 2}, by);
    ck_assert_double_eq(by[0], 1);
    ck_assert_double_eq(by[1], 0);
    derivatives(single(KPAR_SCALAR_POWER), 0, 1, (double[]){0, 3}, by);
    ck_assert_double_eq(by[0], 0);
    ck_assert_double_eq(by[1], 0);
    derivatives(single(KPAR_SCALAR_POWER), 0, 1, (double[]){-2, 3}, by);
    ck_assert_double_eq(by[0], 12);
    ck_assert_double_eq(by[1], 0);
}
END_TEST

START_TEST(infinity_in_the_branch_not_taken_does_not_spoil_a_derivative)
{
    const kpar_expression *e = parsed("{1: input 0; const 0; lt %1 %0; log %0; select %2 %3 %1 -> %4}");
    double by;
    derivatives(e, 0, 1, (double[]){4}, &by);
    ck_assert_double_eq(by, 0.25);
}
END_TEST

START_TEST(text_of_every_op_reads_back_equal)
{
    for (int op = 0; op < KPAR_SCALAR_COUNT; op++) {
        const kpar_expression *e = single((kpar_scalar_op)op);
        const char *text = text_of(e);
        ck_assert_msg(kpar_expression_equal(e, parsed(text)), "%s reads back as %s", text,
                      text_of(parsed(text)));
    }
}
END_TEST

START_TEST(constants_read_back_to_the_bit)
{
    static const double values[] = {0.1,      -0.0,      1.0 / 3, 5e-324, 1.7976931348623157e308,
                                    INFINITY, -INFINITY, NAN,     1e-7};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        kpar_expression_builder *b = kpar_expression_begin(0);
        kpar_x y = kpar_x_constant(b, values[i]);
        const kpar_expression *e = kpar_expression_end(b, arena, &y, 1);
        ck_assert_msg(kpar_expression_equal(e, parsed(text_of(e))), "%s", text_of(e));
    }
}
END_TEST

START_TEST(several_outputs_and_text_that_goes_on_are_read)
{
    const char *text = "{2: input 1; exp %0 -> %1 %0 %1} rest";
    const kpar_expression *e;
    ck_assert_int_eq(kpar_expression_parse(&text, arena, &e), KPAR_OK);
    ck_assert_str_eq(text, " rest");
    ck_assert_int_eq(e->n_outputs, 3);
    ck_assert_int_eq(e->outputs[1], 0);
}
END_TEST

START_TEST(malformed_text_is_refused_with_what_was_expected)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "expected {, found the end of the text"},
        {"{x: input 0 -> %0}", "expected the number of inputs, found 'x: input 0 -> %0}'"},
        {"{1: input 1 -> %0}", "expected the number of an input, found '1 -> %0}'"},
        {"{1: sine %0 -> %0}", "expected the name of a scalar instruction"},
        {"{1: exp %0 -> %0}", "expected the number of an earlier instruction, found '0 -> %0}'"},
        {"{1: input 0; add %0 -> %1}", "expected %, found '-> %1}'"},
        {"{1: const x -> %0}", "expected a number, found 'x -> %0}'"},
        {"{1: input 0 -> %7}", "expected the number of an earlier instruction"},
        {"{1: input 0 %1}", "expected ->"},
        {"{1: input 0 -> %0", "expected %, found the end of the text"},
        {"{99999999999999999999: -> }", "expected the number of inputs"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *text = cases[i].text;
        const kpar_expression *e;
        ck_assert_int_eq(kpar_expression_parse(&text, arena, &e), KPAR_EFORMAT);
        ck_assert_msg(strstr(kpar_error_message(), cases[i].message), "'%s' gives: %s", cases[i].text,
                      kpar_error_message());
        ck_assert_ptr_eq(text, cases[i].text);
    }
}
END_TEST

typedef kpar_x formula(kpar_expression_builder *e, kpar_x x, kpar_x y);

static kpar_x plus_zero(kpar_expression_builder *e, kpar_x x, kpar_x y)
{
    (void)y;
    return kpar_x_add(e, kpar_x_constant(e, 0), x);
}

static kpar_x times_one(kpar_expression_builder *e, kpar_x x, kpar_x y)
{
    (void)y;
    return kpar_x_div(e, kpar_x_mul(e, kpar_x_constant(e, 1), x), kpar_x_constant(e, 1));
}

static kpar_x times_zero(kpar_expression_builder *e, kpar_x x, kpar_x y)
{
    (void)y;
    return kpar_x_mul(e, x, kpar_x_constant(e, 0));
}

static kpar_x twice_negated(kpar_expression_builder *e, kpar_x x, kpar_x y)
{
    (void)y;
    return kpar_x_neg(e, kpar_x_neg(e, x));
}

static kpar_x plus_negative(kpar_expression_builder *e, kpar_x x, kpar_x y)
{
    return kpar_x_add(e, kpar_x_neg(e, y), x);
}

static kpar_x folded(kpar_expression_builder *e, kpar_x x, kpar_x y)
{
    (void)y;
    kpar_x three = kpar_x_add(e, kpar_x_constant(e, 1), kpar_x_constant(e, 2));
    return kpar_x_mul(e, x, kpar_x_sqrt(e, kpar_x_square(e, three)));
}

static kpar_x same_twice(kpar_expression_builder *e, kpar_x x, kpar_x y)
{
    return kpar_x_sub(e, kpar_x_add(e, x, y), kpar_x_add(e, y, x));
}

static kpar_x product_with_itself(kpar_expression_builder *e, kpar_x x, kpar_x y)
{
    (void)y;
    return kpar_x_mul(e, x, x);
}

static kpar_x powers(kpar_expression_builder *e, kpar_x x, kpar_x y)
{
    kpar_x squared = kpar_x_pow(e, x, kpar_x_constant(e, 2)), first = kpar_x_pow(e, y, kpar_x_constant(e, 1));
    return kpar_x_mul(e, kpar_x_add(e, squared, first), kpar_x_pow(e, x, kpar_x_constant(e, 0)));
}

static kpar_x half(kpar_expression_builder *e, kpar_x x, kpar_x y)
{
    (void)y;
    return kpar_x_div(e, x, kpar_x_constant(e, 2));
}

static kpar_x third(kpar_expression_builder *e, kpar_x x, kpar_x y)
{
    (void)y;
    return kpar_x_div(e, x, kpar_x_constant(e, 3));
}

static kpar_x relu_of_square(kpar_expression_builder *e, kpar_x x, kpar_x y)
{
    (void)y;
    return kpar_x_relu(e, kpar_x_abs(e, kpar_x_square(e, kpar_x_neg(e, x))));
}

static kpar_x settled_select(kpar_expression_builder *e, kpar_x x, kpar_x y)
{
    return kpar_x_select(e, kpar_x_constant(e, 0), x, kpar_x_select(e, x, y, y));
}

START_TEST(formulas_are_simplified_as_documented)
{
    static const struct {
        formula *make;
        const char *text;
    } cases[] = {
        {plus_zero, "{2: input 0 -> %0}"},
        {times_one, "{2: input 0 -> %0}"},
        {times_zero, "{2: input 0; const 0; mul %0 %1 -> %2}"}, /* inf * 0 is NaN */
        {twice_negated, "{2: input 0 -> %0}"},
        {plus_negative, "{2: input 0; input 1; sub %0 %1 -> %2}"},
        {folded, "{2: input 0; const 3; mul %0 %1 -> %2}"},
        {same_twice, "{2: input 0; input 1; add %0 %1; sub %2 %2 -> %3}"},
        {product_with_itself, "{2: input 0; square %0 -> %1}"},
        {powers, "{2: input 1; input 0; square %1; add %0 %2 -> %3}"},
        {half, "{2: input 0; const 0.5; mul %0 %1 -> %2}"},
        {third, "{2: input 0; const 3; div %0 %1 -> %2}"}, /* 1/3 is not exact */
        {relu_of_square, "{2: input 0; square %0 -> %1}"},
        {settled_select, "{2: input 1 -> %0}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kpar_expression_builder *e = kpar_expression_begin(2);
        kpar_x x = kpar_x_input(e, 0), y = kpar_x_input(e, 1), made = cases[i].make(e, x, y);
        ck_assert_str_eq(text_of(kpar_expression_end(e, arena, &made, 1)), cases[i].text);
    }
}
END_TEST

/* C compilers differ in the order in which they evaluate the arguments of nested calls. */
START_TEST(the_text_does_not_depend_on_the_order_of_building)
{
    static const kpar_scalar_op ops[] = {KPAR_SCALAR_EXP, KPAR_SCALAR_NEGATE, KPAR_SCALAR_NEGATE};
    const char *text[2];
    for (int backwards = 0; backwards < 2; backwards++) {
        kpar_expression_builder *e = kpar_expression_begin(3);
        kpar_x x[3] = {0};
        for (int k = 0; k < 3; k++) {
            const int i = backwards ? 2 - k : k;
            x[i] = kpar_x_unary(e, ops[i], kpar_x_input(e, i));
        }
        const kpar_x product = backwards ? kpar_x_mul(e, x[1], x[0]) : kpar_x_mul(e, x[0], x[1]);
        const kpar_x sum = backwards ? kpar_x_add(e, x[2], x[1]) : kpar_x_add(e, x[1], x[2]);
        const kpar_x outputs[] = {product, sum};
        text[backwards] = text_of(kpar_expression_end(e, arena, outputs, 2));
    }
    ck_assert_str_eq(text[0], text[1]);
}
END_TEST

START_TEST(zero_and_minus_zero_are_two_constants)
{
    kpar_expression_builder *e = kpar_expression_begin(0);
    ck_assert_int_ne(kpar_x_constant(e, 0.0), kpar_x_constant(e, -0.0));
    ck_assert_int_eq(kpar_x_constant(e, NAN), kpar_x_constant(e, -(double)NAN));
    kpar_x none = kpar_x_constant(e, 0);
    kpar_expression_end(e, arena, &none, 1);
}
END_TEST

START_TEST(inlining_composes_and_shares)
{
    const kpar_expression *inner = parsed("{2: input 0; input 1; sub %0 %1; square %2 -> %3 %2}");
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x inputs[2] = {kpar_x_exp(e, kpar_x_input(e, 0)), kpar_x_input(e, 1)}, once[2], again[2];
    kpar_x_inline(e, inner, inputs, once);
    kpar_x_inline(e, inner, inputs, again);
    ck_assert_int_eq(once[0], again[0]);
    kpar_x y = kpar_x_add(e, once[0], once[1]);
    const kpar_expression *made = kpar_expression_end(e, arena, &y, 1);
    ck_assert_double_eq_tol(evaluate_one(made, (double[]){0, 3}), 4 - 2, 1e-15);
    ck_assert_int_eq(made->n_scalars, 6);
}
END_TEST

START_TEST(unneeded_instructions_are_left_out)
{
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x x = kpar_x_input(e, 0);
    kpar_x_exp(e, kpar_x_input(e, 1));
    kpar_x y = kpar_x_tanh(e, x);
    const kpar_expression *made = kpar_expression_end(e, arena, &y, 1);
    ck_assert_int_eq(made->n_scalars, 2);
    ck_assert(kpar_expression_reads(made, 0));
    ck_assert(!kpar_expression_reads(made, 1));
}
END_TEST

START_TEST(nan_stays_nan_through_max_min_and_relu)
{
    static const kpar_scalar_op ops[] = {KPAR_SCALAR_MAXIMUM, KPAR_SCALAR_MINIMUM};
    for (size_t i = 0; i < 2; i++) {
        ck_assert_double_nan(kpar_scalar_evaluate(ops[i], NAN, 1, 0));
        ck_assert_double_nan(kpar_scalar_evaluate(ops[i], 1, NAN, 0));
    }
    ck_assert_double_nan(kpar_scalar_evaluate(KPAR_SCALAR_RELU, NAN, 0, 0));
    ck_assert_double_eq(kpar_scalar_evaluate(KPAR_SCALAR_RELU, -INFINITY, 0, 0), 0);
    ck_assert_double_eq(kpar_scalar_evaluate(KPAR_SCALAR_SIGMOID, -1000, 0, 0), 0);
    ck_assert_double_eq(kpar_scalar_evaluate(KPAR_SCALAR_SIGMOID, 1000, 0, 0), 1);
}
END_TEST

START_TEST(what_is_stopped_passes_on_and_has_no_derivative)
{
    double slopes[1];
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x x = kpar_x_input(e, 0), y = kpar_x_mul(e, x, kpar_x_stop(e, x));
    const kpar_expression *made = kpar_expression_end(e, arena, &y, 1);
    ck_assert_double_eq(evaluate_one(made, (double[]){3}), 9);
    derivatives(made, 0, 1, (double[]){3}, slopes);
    ck_assert_double_eq(slopes[0], 3);
}
END_TEST

START_TEST(a_long_expression_is_evaluated_and_differentiated)
{
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x x = kpar_x_input(e, 0), y = x;
    for (int i = 1; i <= 300; i++)
        y = kpar_x_add(e, kpar_x_mul(e, y, kpar_x_constant(e, 1 + 1e-3 * i / 300)), x);
    const kpar_expression *made = kpar_expression_end(e, arena, &y, 1);
    ck_assert_int_gt(made->n_scalars, 600);
    check_against_differences(made, 0, (double[]){0.5});
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        derivative_of_every_op_agrees_with_central_differences,
        derivatives_of_formulas_agree_with_central_differences,
        what_is_stopped_passes_on_and_has_no_derivative,
        derivative_of_any_output_may_read_the_other_outputs,
        second_derivative_agrees_with_central_differences,
        derivative_is_written_in_terms_of_the_output_where_that_is_shorter,
        an_inner_relu_is_rebuilt_from_the_input,
        only_wanted_inputs_get_a_derivative_in_their_order,
        derivative_by_an_input_that_is_not_read_is_zero,
        at_kinks_the_derivative_is_that_of_tensorflow,
        infinity_in_the_branch_not_taken_does_not_spoil_a_derivative,
        text_of_every_op_reads_back_equal,
        constants_read_back_to_the_bit,
        several_outputs_and_text_that_goes_on_are_read,
        malformed_text_is_refused_with_what_was_expected,
        formulas_are_simplified_as_documented,
        the_text_does_not_depend_on_the_order_of_building,
        zero_and_minus_zero_are_two_constants,
        inlining_composes_and_shares,
        unneeded_instructions_are_left_out,
        nan_stays_nan_through_max_min_and_relu,
        a_long_expression_is_evaluated_and_differentiated,
    };
    Suite *suite = suite_create("expression");
    TCase *all = tcase_create("expression");
    tcase_set_timeout(all, 0); /* none: a loaded machine is no failure */
    tcase_add_checked_fixture(all, set_up, tear_down);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) tcase_add_test(all, tests[i]);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
