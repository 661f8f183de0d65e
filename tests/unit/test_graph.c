/* The graph: shapes that ops infer and refuse, its check, simplify, fuse, and its dumps. */
#include "graph_evaluate.h"
#include "graph_fixture.h"
#include "unit.h"

enum { MAX_INPUTS = 3, BATCH = 3 };

/* An op on inputs of given shapes ('#': int32) and the shape it gives, or words of its refusal. */
typedef struct shape_case {
    kpar_op_kind kind;
    const char *inputs[MAX_INPUTS];
    kpar_attributes attributes;
    const char *wish;            /* the attribute `shape` */
    const char *shape, *refusal; /* one of them */
} shape_case;

/* clang-format off */
static const shape_case shape_cases[] = {
    {KPAR_OP_REDUCE, {"b 2 3"}, {.axes = 5}, "", "(2)", NULL},
    {KPAR_OP_REDUCE, {"b 2 3"}, {.axes = 7}, "", "()", NULL},
    {KPAR_OP_REDUCE, {"b 2"}, {.axes = 4}, "", NULL, "rank 2"},
    {KPAR_OP_ARG_REDUCE, {"b 2 3"}, {.axis = 1}, "", "(batch, 3)", NULL},
    {KPAR_OP_ARG_REDUCE, {"b 5"}, {.axis = 1}, "", "(batch)", NULL},
    {KPAR_OP_ARG_REDUCE, {"b 2"}, {.axis = 2}, "", NULL, "axis 2"},
    {KPAR_OP_CUMULATIVE, {"b 2 3"}, {.axis = 1}, "", "(batch, 2, 3)", NULL},
    {KPAR_OP_CUMULATIVE, {"b 2"}, {.axis = 2}, "", NULL, "axis 2"},
    {KPAR_OP_CUMULATIVE, {"b 2"}, {.axis = 0}, "", NULL, "rows of the batch"},
    {KPAR_OP_CUMULATIVE, {"b 2"}, {.axis = 1, .reduction = KPAR_REDUCE_MAX}, "", NULL, "sums and products"},
    {KPAR_OP_MATMUL, {"b 4", "4 2"}, {0}, "", "(batch, 2)", NULL},
    {KPAR_OP_MATMUL, {"4 b", "2 4"}, {.transpose_a = true, .transpose_b = true}, "", "(batch, 2)", NULL},
    {KPAR_OP_MATMUL, {"b 5 4", "b 4 2"}, {0}, "", "(batch, 5, 2)", NULL},
    {KPAR_OP_MATMUL, {"b 4", "2 4"}, {0}, "", NULL, "(batch, 4) and (2, 4) do not fit"},
    {KPAR_OP_MATMUL, {"4 b", "4 2"}, {0}, "", NULL, "do not fit"},
    {KPAR_OP_MATMUL, {"b 5 4", "4 2"}, {0}, "", NULL, "do not fit"},
    {KPAR_OP_MATMUL, {"4", "4"}, {0}, "", NULL, "do not fit"},
    {KPAR_OP_CONV, {"b 7 6 4", "3 2 2 6"}, {.start = {0, 1}, .stop = {0, 1}, .stride = {0, 2, 3}}, "", "(batch, 4, 2, 6)", NULL},
    {KPAR_OP_CONV, {"b 7 2", "3 2 5"}, {.dilation = {0, 3}}, "", "(batch, 1, 5)", NULL},
    {KPAR_OP_CONV, {"b 6 2", "3 2 5"}, {.dilation = {0, 3}}, "", NULL, "(batch, 6, 2) and kernel (3, 2, 5): the kernel is larger"},
    {KPAR_OP_CONV, {"b 6 3", "3 2 5"}, {0}, "", NULL, "groups"},
    {KPAR_OP_CONV, {"b 6 4", "3 2 5"}, {0}, "", NULL, "groups"},
    {KPAR_OP_CONV, {"b 4", "4 2"}, {0}, "", NULL, "ranks"},
    {KPAR_OP_CONV, {"b 6 6 4", "4 2"}, {0}, "", NULL, "ranks"},
    {KPAR_OP_CONV_INPUT_GRADIENT, {"b 3 5", "2 2 5"}, {0}, "b 4 2", "(batch, 4, 2)", NULL},
    {KPAR_OP_CONV_INPUT_GRADIENT, {"b 3 5", "2 2 5"}, {0}, "b 5 2", NULL, "another shape"},
    {KPAR_OP_CONV_KERNEL_GRADIENT, {"b 4 2", "b 3 5"}, {0}, "2 2 5", "(2, 2, 5)", NULL},
    {KPAR_OP_CONV_KERNEL_GRADIENT, {"b 4 2", "b 3 5"}, {0}, "3 2 5", NULL, "another shape"},
    {KPAR_OP_POOL, {"b 5 6 2"}, {.window = {0, 2, 3}, .stop = {0, 0, 2}, .stride = {0, 2, 2}}, "", "(batch, 2, 3, 2)", NULL},
    {KPAR_OP_POOL, {"b 5 2"}, {.window = {0, 6}}, "", NULL, "a window of 6"},
    {KPAR_OP_POOL, {"b 5 2"}, {.window = {0, 2}, .start = {0, 2}}, "", NULL, "a window of 2"},
    {KPAR_OP_POOL, {"b 5 2"}, {.window = {0, 2}, .reduction = KPAR_REDUCE_MIN}, "", NULL, "minima"},
    {KPAR_OP_POOL, {"b 5"}, {.window = {0, 2}}, "", NULL, "rank 3"},
    {KPAR_OP_MAX_POOL_GRADIENT, {"b 5 2", "b 4 2"}, {.window = {0, 2}}, "", "(batch, 5, 2)", NULL},
    {KPAR_OP_MAX_POOL_GRADIENT, {"b 5 2", "b 5 2"}, {.window = {0, 2}}, "", NULL, "do not pool"},
    {KPAR_OP_MEAN_POOL_GRADIENT, {"b 4 2"}, {.window = {0, 2}}, "b 5 2", "(batch, 5, 2)", NULL},
    {KPAR_OP_MEAN_POOL_GRADIENT, {"b 4 2"}, {.window = {0, 2}}, "b 6 2", NULL, "do not pool"},
    {KPAR_OP_TRANSPOSE, {"b 2 3"}, {.permutation = {2, 0, 1}}, "", "(3, batch, 2)", NULL},
    {KPAR_OP_TRANSPOSE, {"b 2 3"}, {.permutation = {2, 0, 2}}, "", NULL, "not a permutation"},
    {KPAR_OP_RESHAPE, {"b 2 3"}, {0}, "6b", "(6·batch)", NULL},
    {KPAR_OP_RESHAPE, {"b 2 3"}, {0}, "b 7", NULL, "elements"},
    {KPAR_OP_RESHAPE, {"b 6"}, {0}, "6", NULL, "elements"},
    {KPAR_OP_SLICE, {"b 6"}, {.start = {0, 1}, .stop = {KPAR_TO_END, 4}}, "", "(batch, 3)", NULL},
    {KPAR_OP_SLICE, {"b 6"}, {.start = {0, 1}, .stop = {KPAR_TO_END, KPAR_TO_END}}, "", "(batch, 5)", NULL},
    {KPAR_OP_SLICE, {"b 6"}, {.start = {0, 4}, .stop = {KPAR_TO_END, 7}}, "", NULL, "4 to 7 of a"},
    {KPAR_OP_SLICE, {"b 6"}, {.start = {1, 0}, .stop = {KPAR_TO_END, 6}}, "", NULL, "batch"},
    {KPAR_OP_PAD, {"b 6"}, {.start = {0, 1}, .stop = {0, 2}}, "", "(batch, 9)", NULL},
    {KPAR_OP_PAD, {"b 6"}, {.start = {1, 0}}, "", NULL, "batch"},
    {KPAR_OP_CONCAT, {"b 2", "b 3", "b 1"}, {.axis = 1}, "", "(batch, 6)", NULL},
    {KPAR_OP_CONCAT, {"b 2", "b 3"}, {.axis = 0}, "", NULL, "axis 0"},
    {KPAR_OP_CONCAT, {"b 2", "b 3 1"}, {.axis = 1}, "", NULL, "differ"},
    {KPAR_OP_CONCAT, {"b 2 2", "b 3 3"}, {.axis = 1}, "", NULL, "differ"},
    {KPAR_OP_GATHER, {"5 2", "#b 3"}, {0}, "", "(batch, 3, 2)", NULL},
    {KPAR_OP_GATHER, {"5 2", "b 3"}, {0}, "", NULL, "expected int32 or int64"},
    {KPAR_OP_GATHER, {"b 5 2", "#b 3"}, {.axis = 1}, "", "(batch, 3, 2)", NULL},
    {KPAR_OP_GATHER, {"2 5 2", "#b 3"}, {.axis = 1}, "", NULL, "dimension 0 differs"},
    {KPAR_OP_SCATTER_ADD, {"b 2", "#b"}, {0}, "5 2", "(5, 2)", NULL},
    {KPAR_OP_CONSTANT, {NULL}, {.dtype = KPAR_F64}, "b 2", "(batch, 2)", NULL},
    {KPAR_OP_IOTA, {NULL}, {.dtype = KPAR_I32}, "4", "(4)", NULL},
    {KPAR_OP_RECEIVE, {NULL}, {.dtype = KPAR_F64}, "b", "(batch)", NULL},
    {KPAR_OP_RANDOM, {"!b", "!"}, {0}, "b 2", "(batch, 2)", NULL},
    {KPAR_OP_RANDOM, {"!b", "!"}, {0}, "3 2", NULL, "batch as their first"},
    {KPAR_OP_RANDOM, {"b", "!"}, {0}, "b", NULL, "int64"},
    {KPAR_OP_SOFTMAX, {"b 2 3"}, {0}, "", "(batch, 2, 3)", NULL},
    {KPAR_OP_SOFTMAX, {"b"}, {0}, "", NULL, "last dimension"},
    {KPAR_OP_SOFTMAX_GRADIENT, {"b 3", "b 3"}, {0}, "", "(batch, 3)", NULL},
    {KPAR_OP_CROSS_ENTROPY, {"b 3", "b 3"}, {0}, "", "(batch)", NULL},
    {KPAR_OP_CROSS_ENTROPY, {"b 2 3", "#b 2"}, {.sparse = true}, "", "(batch, 2)", NULL},
    {KPAR_OP_CROSS_ENTROPY, {"b 3", "#b 3"}, {.sparse = true}, "", NULL, "labels have shape (batch, 3)"},
    {KPAR_OP_CROSS_ENTROPY, {"b 3", "b 4"}, {0}, "", NULL, "predictions (batch, 3)"},
    {KPAR_OP_CROSS_ENTROPY_GRADIENT, {"b 3", "b 3", "b"}, {0}, "", "(batch, 3)", NULL},
    {KPAR_OP_CROSS_ENTROPY_GRADIENT, {"b 2 3", "#b 2", "b 2"}, {.sparse = true}, "", "(batch, 2, 3)", NULL},
    {KPAR_OP_ACCUMULATE, {"3"}, {0}, "", "(3)", NULL},
    {KPAR_OP_COMPUTE_COPY, {"3"}, {0}, "", "(3)", NULL},
    {KPAR_OP_SPLIT, {"3"}, {0}, "", "(3)", NULL},
    {KPAR_OP_ALL_REDUCE, {"3", "4"}, {0}, "", "(3)", NULL},
    {KPAR_OP_REDUCE_SCATTER, {"3", "4"}, {0}, "", "(3)", NULL},
    {KPAR_OP_ALL_GATHER, {"3", "4"}, {0}, "", "(3)", NULL},
    {KPAR_OP_SEND, {"3"}, {0}, "", "none", NULL},
};
/* clang-format on */
enum { SHAPE_CASES = sizeof shape_cases / sizeof shape_cases[0] };

static kpar_value_id input_of(kpar_graph *g, int index, const char *text)
{
    const kpar_dtype dtype = *text == '#' ? KPAR_I32 : *text == '!' ? KPAR_I64 : g->real;
    return source(g, KPAR_FROM_FEATURE, index, dtype, text + (dtype != g->real));
}

static void check_shape_case(const shape_case *c)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    kpar_value_id inputs[MAX_INPUTS], y;
    char text[KPAR_SHAPE_TEXT] = "none";
    int n = 0;
    for (; n < MAX_INPUTS && c->inputs[n]; n++) inputs[n] = input_of(g, n, c->inputs[n]);
    g->layer = "here";
    const char *name = kpar_op_row_get(c->kind)->name;
    kpar_attributes attributes = c->attributes;
    attributes.shape = shape(c->wish);
    const kpar_status status = kpar_graph_append(g, c->kind, inputs, n, &attributes, &y);
    if (c->refusal) {
        ck_assert_msg(status != KPAR_OK, "%s took what it cannot take (%s)", name, c->refusal);
        ck_assert_msg(strstr(kpar_error_message(), c->refusal) && strstr(kpar_error_message(), "'here'") &&
                          strstr(kpar_error_message(), name),
                      "no '%s', layer and op in: %s", c->refusal, kpar_error_message());
        ck_assert_uint_eq(g->n_ops, 0);
    } else {
        ck_assert_msg(status == KPAR_OK, "%s: %s", name, kpar_error_message());
        if (y >= 0) kpar_shape_format(text, &g->values[y].shape);
        ck_assert_msg(strcmp(text, c->shape) == 0, "%s gives %s, expected %s", name, text, c->shape);
    }
    kpar_graph_destroy(g);
}

START_TEST(every_op_infers_its_shape_and_refuses_what_does_not_fit)
{
    const kpar_op_row *row = kpar_op_row_get((kpar_op_kind)_i);
    int n = 0;
    for (int i = 0; i < SHAPE_CASES; i++)
        if (shape_cases[i].kind == (kpar_op_kind)_i) {
            check_shape_case(&shape_cases[i]);
            n++;
        }
    ck_assert_msg(n > 0 || _i == KPAR_OP_MAP || _i == KPAR_OP_MAP_REDUCE, "op %s has no case here",
                  row->name);
}
END_TEST

START_TEST(every_op_row_has_words_and_a_shape_rule)
{
    for (int i = 0; i < KPAR_OP_COUNT; i++) {
        const kpar_op_row *row = kpar_op_row_get((kpar_op_kind)i);
        kpar_op_kind kind;
        ck_assert(row->shape != NULL && row->doc[0] != 0);
        ck_assert_msg(kpar_op_parse(row->name, &kind) && kind == (kpar_op_kind)i, "'%s' means another op",
                      row->name);
    }
    kpar_op_kind kind;
    ck_assert(!kpar_op_parse("convolve", &kind));
}
END_TEST

START_TEST(maps_broadcast_as_numpy_does)
{
    static const struct {
        const char *a, *b, *shape;
    } cases[] = {{"b 3", "3", "(batch, 3)"}, {"b 1", "1 4", "(batch, 4)"},
                 {"", "b 2", "(batch, 2)"},  {"2 1 3", "4 1", "(2, 4, 3)"},
                 {"1", "b", "(batch)"},      {"b 2", "3", NULL},
                 {"b 2", "4 2", NULL},       {"2b", "b", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kpar_graph *g = kpar_graph_create(KPAR_F64);
        kpar_value_id y;
        char text[KPAR_SHAPE_TEXT];
        const kpar_value_id a = feature_of(g, 0, cases[i].a), b = feature_of(g, 1, cases[i].b);
        const kpar_status status = kpar_build_binary(g, KPAR_SCALAR_ADD, a, b, &y);
        ck_assert_msg((status == KPAR_OK) == (cases[i].shape != NULL), "%s and %s", cases[i].a, cases[i].b);
        if (cases[i].shape) ck_assert_str_eq(kpar_shape_format(text, &g->values[y].shape), cases[i].shape);
        kpar_graph_destroy(g);
    }
}
END_TEST

START_TEST(maps_take_constants_in_and_leave_out_what_they_do_not_read)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    const kpar_value_id x = feature_of(g, 0, "b 3");
    kpar_value_id two, y;
    ASSERT_OK(kpar_build_constant(g, 2, shape(""), &two));
    y = binary(g, KPAR_SCALAR_MULTIPLY, x, two);
    ck_assert_int_eq(g->ops[g->values[y].op].n_inputs, 1);
    ck_assert_int_eq(binary(g, KPAR_SCALAR_ADD, binary(g, KPAR_SCALAR_SUBTRACT, two, two), x), x);
    ck_assert_int_eq(count_ops(g, KPAR_OP_MAP), 1);
    kpar_graph_destroy(g);
}
END_TEST

START_TEST(the_same_source_is_one_value)
{
    kpar_graph *g = kpar_graph_create(KPAR_F32);
    ck_assert_int_eq(feature_of(g, 0, "b 3"), feature_of(g, 0, "b 3"));
    ck_assert_int_ne(feature_of(g, 0, "b 3"), feature_of(g, 1, "b 3"));
    ck_assert_int_ne(feature_of(g, 0, "b 3"), variable_of(g, 0, "3"));
    ck_assert_int_eq(g->values[feature_of(g, 0, "")].phase, KPAR_PHASE_FACTS_ROWS);
    ck_assert_int_eq(g->values[variable_of(g, 0, "")].phase, KPAR_PHASE_STATE);
    kpar_graph_destroy(g);
}
END_TEST

/* --- the check --- */

START_TEST(phases_read_only_what_exists_when_they_run)
{
    /* by phase of the reader, then of the value read; only these are refused or allowed here */
    static const bool allowed[KPAR_PHASE_COUNT][KPAR_PHASE_COUNT] = {
        [KPAR_PHASE_START] = {[KPAR_PHASE_STATE] = true, [KPAR_PHASE_START] = true},
        [KPAR_PHASE_FACTS_ROWS] = {[KPAR_PHASE_FACTS_ROWS] = true},
        [KPAR_PHASE_FACTS] = {[KPAR_PHASE_FACTS] = true},
        [KPAR_PHASE_MICROBATCH] = {[KPAR_PHASE_STATE] = true,
                                   [KPAR_PHASE_START] = true,
                                   [KPAR_PHASE_FACTS_ROWS] = true,
                                   [KPAR_PHASE_FACTS] = true,
                                   [KPAR_PHASE_MICROBATCH] = true},
        [KPAR_PHASE_UPDATE] = {[KPAR_PHASE_STATE] = true,
                               [KPAR_PHASE_START] = true,
                               [KPAR_PHASE_FACTS] = true,
                               [KPAR_PHASE_UPDATE] = true},
    };
    for (int reader = KPAR_PHASE_START; reader < KPAR_PHASE_COUNT; reader++)
        for (int read = KPAR_PHASE_STATE; read < KPAR_PHASE_COUNT; read++) {
            kpar_graph *g = kpar_graph_create(KPAR_F64);
            kpar_value_id x = variable_of(g, 0, "3");
            if (read != KPAR_PHASE_STATE) {
                g->phase = (kpar_phase)read;
                ASSERT_OK(kpar_build_constant(g, 1, shape("3"), &x));
            }
            g->phase = (kpar_phase)reader;
            g->layer = "late";
            ASSERT_OK(kpar_build_transpose(g, (int[]){0}, x, &x));
            const kpar_status status = kpar_graph_check(g);
            ck_assert_msg((status == KPAR_OK) == allowed[reader][read], "%s reads %s",
                          kpar_phase_name((kpar_phase)reader), kpar_phase_name((kpar_phase)read));
            if (status != KPAR_OK) ck_assert_ptr_nonnull(strstr(kpar_error_message(), "'late'"));
            kpar_graph_destroy(g);
        }
}
END_TEST

START_TEST(accumulate_alone_leaves_a_replayed_phase)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    const kpar_value_id rows = total(g, unary(g, KPAR_SCALAR_EXP, feature_of(g, 0, "b 3")));
    kpar_value_id sum, fact;
    ASSERT_OK(kpar_build_accumulate(g, rows, &sum));
    ck_assert_int_eq(g->values[sum].phase, KPAR_PHASE_UPDATE);
    ASSERT_OK(kpar_build_accumulate(g, feature_of(g, 1, ""), &fact));
    ck_assert_int_eq(g->values[fact].phase, KPAR_PHASE_FACTS);
    ASSERT_OK(kpar_graph_check(g));
    g->phase = KPAR_PHASE_UPDATE;
    unary(g, KPAR_SCALAR_EXP, rows);
    ASSERT_FAILS(kpar_graph_check(g), KPAR_EINTERNAL, "update", "microbatch");
    kpar_graph_destroy(g);
}
END_TEST

START_TEST(damage_is_found)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    const kpar_value_id w = variable_of(g, 0, "3");
    const kpar_value_id y = unary(g, KPAR_SCALAR_EXP, w), z = unary(g, KPAR_SCALAR_TANH, y);
    kpar_value_id *read = (kpar_value_id *)g->ops[0].inputs; /* the graph's own copy, in its arena */
    ASSERT_OK(kpar_graph_check(g));
    *read = z;
    ASSERT_FAILS(kpar_graph_check(g), KPAR_EINTERNAL, "op 0 (map)", "before it is defined");
    *read = 99;
    ASSERT_FAILS(kpar_graph_check(g), KPAR_EINTERNAL, "op 0 (map)", "no value");
    *read = w;
    g->values[y].placement[KPAR_AXIS_TENSOR] = (kpar_placement){.kind = KPAR_SPLIT, .dim = 1};
    ASSERT_FAILS(kpar_graph_check(g), KPAR_EINTERNAL, "dimension 1", "split");
    g->values[y].placement[KPAR_AXIS_TENSOR] = (kpar_placement){.kind = KPAR_REPLICATED};
    kpar_graph_set_state(g, w, total(g, y));
    ASSERT_FAILS(kpar_graph_check(g), KPAR_EINTERNAL, "variable 0", "shape");
    kpar_graph_destroy(g);
}
END_TEST

/* --- passes --- */

static double evaluated(const kpar_graph *g, kpar_value_id id)
{
    evaluation e = {.graph = g, .batch = BATCH, .source = fill_source};
    evaluate(&e);
    const double value = e.values[id][0];
    evaluation_free(&e);
    return value;
}

/* Runs a pass that must keep the only output's value; returns the new graph and destroys the old one. */
static kpar_graph *passed(kpar_graph *g, kpar_status (*pass)(const kpar_graph *, kpar_graph **))
{
    kpar_graph *result = NULL;
    ASSERT_OK(pass(g, &result));
    ASSERT_OK(kpar_graph_check(result));
    ck_assert_uint_eq(result->n_outputs, 1);
    const double before = evaluated(g, g->outputs[0].value);
    const double after = evaluated(result, result->outputs[0].value);
    ck_assert_msg(fabs(before - after) <= 1e-12 * (1 + fabs(before)), "%.17g became %.17g", before, after);
    kpar_graph_destroy(g);
    return result;
}

static void give(kpar_graph *g, kpar_value_id y) { kpar_graph_add_output(g, KPAR_OUTPUT_PREDICTION, 0, y); }

START_TEST(simplify_drops_what_nobody_reads)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    const kpar_value_id x = feature_of(g, 0, "b 3"), y = unary(g, KPAR_SCALAR_EXP, x);
    unary(g, KPAR_SCALAR_TANH, unary(g, KPAR_SCALAR_SQUARE, y));
    ASSERT_OK(kpar_graph_append(g, KPAR_OP_SEND, &y, 1, NULL, NULL));
    give(g, y);
    kpar_graph *simple = NULL;
    ASSERT_OK(kpar_graph_simplify(g, &simple));
    ck_assert_int_eq(count_ops(simple, KPAR_OP_MAP), 1);
    ck_assert_int_eq(count_ops(simple, KPAR_OP_SEND), 1);
    kpar_graph_destroy(g);
    kpar_graph_destroy(simple);
}
END_TEST

START_TEST(simplify_computes_the_same_only_once)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    const kpar_value_id x = feature_of(g, 0, "b 3"), w = variable_of(g, 0, "3 3");
    const kpar_value_id a = unary(g, KPAR_SCALAR_TANH, matmul(g, x, w));
    const kpar_value_id b = unary(g, KPAR_SCALAR_TANH, matmul(g, x, w));
    kpar_value_id other;
    ASSERT_OK(kpar_build_matmul(g, x, false, w, true, &other)); /* not the same */
    give(g, total(g, binary(g, KPAR_SCALAR_ADD, binary(g, KPAR_SCALAR_MULTIPLY, a, b), other)));
    g = passed(g, kpar_graph_simplify);
    ck_assert_int_eq(count_ops(g, KPAR_OP_MATMUL), 2);
    ck_assert_int_eq(count_ops(g, KPAR_OP_MAP), 3);
    kpar_graph_destroy(g);
}
END_TEST

/* Two call sites of dropout draw different numbers even if everything about them is equal. */
START_TEST(simplify_shares_no_random_numbers_and_nothing_of_two_phases)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64), *simple = NULL;
    const kpar_value_id position = source(g, KPAR_FROM_ROW_POSITION, 0, KPAR_I64, "b");
    const kpar_value_id step = source(g, KPAR_FROM_VARIABLE, 0, KPAR_I64, ""), w = variable_of(g, 1, "3");
    for (int i = 0; i < 2; i++) {
        kpar_value_id y;
        ASSERT_OK(kpar_build_random(g, 7, position, step, shape("b 3"), &y));
        kpar_graph_add_output(g, KPAR_OUTPUT_PREDICTION, i, y);
    }
    give(g, unary(g, KPAR_SCALAR_EXP, w));
    g->phase = KPAR_PHASE_UPDATE;
    kpar_graph_add_output(g, KPAR_OUTPUT_REPORT, 0, unary(g, KPAR_SCALAR_EXP, w));
    ASSERT_OK(kpar_graph_simplify(g, &simple));
    ck_assert_int_eq(count_ops(simple, KPAR_OP_RANDOM), 2);
    ck_assert_int_eq(count_ops(simple, KPAR_OP_MAP), 2);
    kpar_graph_destroy(g);
    kpar_graph_destroy(simple);
}
END_TEST

/* What two layers say about their biases is the same sum; a stage may have one of the layers. */
START_TEST(simplify_shares_no_gradients_of_two_layers)
{
    static const char *const layers[] = {"left", "right"};
    for (int same = 0; same < 2; same++) {
        kpar_graph *g = kpar_graph_create(KPAR_F64), *simple = NULL;
        kpar_value_id wanted[2], gradients[2], sum = feature_of(g, 0, "b 3");
        for (int i = 0; i < 2; i++) {
            g->layer = layers[same ? 0 : i];
            sum = binary(g, KPAR_SCALAR_ADD, sum, wanted[i] = variable_of(g, i, "3"));
        }
        const kpar_value_id loss = total(g, unary(g, KPAR_SCALAR_SQUARE, sum));
        ASSERT_OK(kpar_graph_gradient(g, loss, wanted, 2, gradients));
        for (int i = 0; i < 2; i++) kpar_graph_add_output(g, KPAR_OUTPUT_PREDICTION, i, gradients[i]);
        ASSERT_OK(kpar_graph_simplify(g, &simple));
        ck_assert_int_eq(simple->outputs[0].value == simple->outputs[1].value, same);
        kpar_graph_destroy(g);
        kpar_graph_destroy(simple);
    }
}
END_TEST

START_TEST(simplify_keeps_states_of_variables)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64), *simple = NULL;
    const kpar_value_id w = variable_of(g, 4, "3"), untouched = variable_of(g, 5, "2");
    g->phase = KPAR_PHASE_UPDATE;
    kpar_graph_set_state(g, w, unary(g, KPAR_SCALAR_SQUARE, w));
    kpar_graph_set_state(g, untouched, untouched);
    ASSERT_OK(kpar_graph_simplify(g, &simple));
    ck_assert_uint_eq(simple->n_states, 2);
    ck_assert_int_eq(simple->states[0].variable, 4);
    ck_assert_int_ne(simple->states[0].value, simple->states[0].next);
    ck_assert_int_eq(simple->states[1].value, simple->states[1].next);
    kpar_graph_destroy(g);
    kpar_graph_destroy(simple);
}
END_TEST

/* The case's op and what it becomes, element by element. */
static void check_taken_apart(const shape_case *c)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64), *apart = NULL;
    kpar_value_id inputs[MAX_INPUTS], y;
    const bool chosen[1] = {true};
    int n = 0;
    for (; n < MAX_INPUTS && c->inputs[n]; n++) inputs[n] = input_of(g, n, c->inputs[n]);
    ASSERT_OK(kpar_graph_append(g, c->kind, inputs, n, &c->attributes, &y));
    give(g, y);
    ASSERT_OK(kpar_graph_expand(g, chosen, &apart));
    ASSERT_OK(kpar_graph_check(apart));
    const kpar_value_id other = apart->outputs[0].value;
    const char *name = kpar_op_row_get(c->kind)->name;
    ck_assert_int_eq(count_ops(apart, c->kind), 0);
    ck_assert(kpar_shape_equal(&g->values[y].shape, &apart->values[other].shape));
    ck_assert_int_eq(g->values[y].dtype, apart->values[other].dtype);
    evaluation before = {.graph = g, .batch = BATCH, .source = fill_source},
               after = {.graph = apart, .batch = BATCH, .source = fill_source};
    evaluate(&before);
    evaluate(&after);
    for (int64_t i = 0; i < count_of(&before, y); i++) {
        const double a = before.values[y][i], b = after.values[other][i];
        ck_assert_msg(fabs(a - b) <= 1e-12 * (1 + fabs(a)), "%s, element %d: %.17g became %.17g", name,
                      (int)i, a, b);
    }
    evaluation_free(&before);
    evaluation_free(&after);
    kpar_graph_destroy(g);
    kpar_graph_destroy(apart);
}

START_TEST(an_op_that_is_taken_apart_means_the_same)
{
    int n = 0;
    for (int i = 0; i < SHAPE_CASES; i++)
        if (shape_cases[i].kind == (kpar_op_kind)_i && !shape_cases[i].refusal && kpar_op_expands(_i)) {
            check_taken_apart(&shape_cases[i]);
            n++;
        }
    ck_assert_msg(n > 0 || !kpar_op_expands(_i), "op %s has no case",
                  kpar_op_row_get((kpar_op_kind)_i)->name);
}
END_TEST

START_TEST(matmul_bias_and_relu_become_one_op)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    give(g, dense(g, "dense", 0, feature_of(g, 0, "b 4"), 5));
    ck_assert_uint_eq(g->n_ops, 3);
    g = passed(g, kpar_graph_fuse);
    ck_assert_uint_eq(g->n_ops, 1);
    const kpar_op *op = only_op(g, KPAR_OP_MATMUL);
    ck_assert_int_eq(op->n_inputs, 3);
    ck_assert_int_eq(op->attributes.expression->n_inputs, 2);
    kpar_graph_destroy(g);
}
END_TEST

START_TEST(a_chain_of_maps_becomes_one_map)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    kpar_value_id y = feature_of(g, 0, "b 4");
    for (int i = 0; i < 10; i++)
        y = binary(g, KPAR_SCALAR_MULTIPLY, unary(g, KPAR_SCALAR_TANH, y), feature_of(g, i % 3, "b 4"));
    give(g, y);
    g = passed(g, kpar_graph_fuse);
    ck_assert_uint_eq(g->n_ops, 1);
    kpar_graph_destroy(g);
}
END_TEST

START_TEST(two_matmuls_that_meet_in_a_map_keep_their_own_op)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    const kpar_value_id x = feature_of(g, 0, "b 4"), a = matmul(g, x, variable_of(g, 0, "4 3"));
    give(g, binary(g, KPAR_SCALAR_SUBTRACT, a, matmul(g, x, variable_of(g, 1, "4 3"))));
    g = passed(g, kpar_graph_fuse);
    ck_assert_int_eq(count_ops(g, KPAR_OP_MATMUL), 2);
    ck_assert_int_eq(count_ops(g, KPAR_OP_MAP), 0);
    kpar_graph_destroy(g);
}
END_TEST

/* Else a cut between layers, which is made after fusion, would change kernels and so results. */
START_TEST(nothing_is_fused_across_layers)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    kpar_value_id y = dense(g, "one", 0, feature_of(g, 0, "b 4"), 5);
    g->layer = "two";
    give(g, unary(g, KPAR_SCALAR_TANH, unary(g, KPAR_SCALAR_SQUARE, y)));
    g = passed(g, kpar_graph_fuse);
    ck_assert_uint_eq(g->n_ops, 2);
    ck_assert_str_eq(g->ops[0].layer, "one");
    ck_assert_str_eq(g->ops[1].layer, "two");
    kpar_graph_destroy(g);
}
END_TEST

/* x squared in layer one, its tanh in layer two: two maps once they are cut into the stages given. */
static kpar_graph *maps_of_two_layers(int stage_of_one, int stage_of_two)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    g->layer = "one";
    g->stage = stage_of_one;
    const kpar_value_id y = unary(g, KPAR_SCALAR_SQUARE, feature_of(g, 0, "b 4"));
    g->layer = "two";
    g->stage = stage_of_two;
    give(g, unary(g, KPAR_SCALAR_TANH, y));
    return g;
}

START_TEST(maps_of_layers_on_one_stage_become_one_once_stages_are_cut)
{
    kpar_graph *g = maps_of_two_layers(1, 1), *fused = NULL;
    ASSERT_OK(kpar_graph_fuse_layers(g, &fused));
    ck_assert_uint_eq(fused->n_ops, 1);
    ck_assert_str_eq(fused->ops[0].layer, "two");
    ck_assert(evaluated(fused, fused->outputs[0].value) == evaluated(g, g->outputs[0].value));
    kpar_graph_destroy(g);
    kpar_graph_destroy(fused);
}
END_TEST

START_TEST(maps_of_layers_on_two_stages_stay_apart)
{
    kpar_graph *g = passed(maps_of_two_layers(0, 1), kpar_graph_fuse_layers);
    ck_assert_uint_eq(g->n_ops, 2);
    kpar_graph_destroy(g);
}
END_TEST

START_TEST(what_others_read_or_see_is_not_fused_away)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64), *fused = NULL;
    const kpar_value_id x = feature_of(g, 0, "b 4"), shared = unary(g, KPAR_SCALAR_EXP, x);
    const kpar_value_id seen = unary(g, KPAR_SCALAR_TANH, shared);
    give(g, seen);
    const kpar_value_id last = binary(g, KPAR_SCALAR_ADD, shared, unary(g, KPAR_SCALAR_SQUARE, seen));
    kpar_graph_add_output(g, KPAR_OUTPUT_PREDICTION, 1, last);
    ASSERT_OK(kpar_graph_fuse(g, &fused));
    ck_assert_uint_eq(fused->n_ops, 3);
    for (int i = 0; i < 2; i++) {
        const double before = evaluated(g, g->outputs[i].value);
        ck_assert_double_eq_tol(evaluated(fused, fused->outputs[i].value), before, 1e-12);
    }
    kpar_graph_destroy(g);
    kpar_graph_destroy(fused);
}
END_TEST

/* A broadcast map inside a larger one would compute its elements many times. */
START_TEST(maps_of_smaller_shape_stay_apart)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    const kpar_value_id bias = unary(g, KPAR_SCALAR_EXP, variable_of(g, 0, "4"));
    give(g, unary(g, KPAR_SCALAR_TANH, binary(g, KPAR_SCALAR_ADD, feature_of(g, 0, "b 4"), bias)));
    g = passed(g, kpar_graph_fuse);
    ck_assert_int_eq(count_ops(g, KPAR_OP_MAP), 2);
    kpar_graph_destroy(g);
}
END_TEST

START_TEST(maps_before_a_sum_are_computed_while_it_is_summed)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    const kpar_value_id x = feature_of(g, 0, "b 4"), scale = variable_of(g, 0, "4");
    give(g, total(g, unary(g, KPAR_SCALAR_SQUARE, binary(g, KPAR_SCALAR_MULTIPLY, x, scale))));
    g = passed(g, kpar_graph_fuse);
    ck_assert_uint_eq(g->n_ops, 1);
    const kpar_op *op = only_op(g, KPAR_OP_MAP_REDUCE);
    ck_assert_int_eq(op->n_inputs, 2);
    ck_assert_uint_eq(op->attributes.axes, 3);
    kpar_graph_destroy(g);
}
END_TEST

START_TEST(what_a_sum_is_not_alone_to_read_is_kept)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    const kpar_value_id square = unary(g, KPAR_SCALAR_SQUARE, feature_of(g, 0, "b 4"));
    give(g, binary(g, KPAR_SCALAR_MULTIPLY, square, total(g, square)));
    g = passed(g, kpar_graph_fuse);
    ck_assert_int_eq(count_ops(g, KPAR_OP_MAP), 2);
    ck_assert_int_eq(count_ops(g, KPAR_OP_REDUCE), 1);
    kpar_graph_destroy(g);
}
END_TEST

/* A sum of what is repeated reads nothing as large as what it sums; the update's sums are taken by others. */
START_TEST(sums_of_what_is_repeated_and_sums_of_the_update_keep_their_map)
{
    for (int update = 0; update < 2; update++) {
        kpar_graph *g = kpar_graph_create(KPAR_F64);
        const kpar_value_id x = variable_of(g, 0, update ? "4" : "4 1");
        kpar_value_id y = unary(g, KPAR_SCALAR_EXP, x);
        if (update) {
            g->phase = KPAR_PHASE_UPDATE;
            y = unary(g, KPAR_SCALAR_EXP, x);
        } else
            ASSERT_OK(kpar_build_broadcast(g, shape("4 5"), y, &y));
        give(g, total(g, y));
        g = passed(g, kpar_graph_fuse);
        ck_assert_int_eq(count_ops(g, KPAR_OP_MAP_REDUCE), 0);
        kpar_graph_destroy(g);
    }
}
END_TEST

/* The gradient of a product with a vector: one output for what goes on, one that is only summed. */
START_TEST(an_output_that_is_only_summed_leaves_its_map)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64), *fused = NULL;
    const kpar_value_id x = feature_of(g, 0, "b 4"), scale = variable_of(g, 0, "4");
    const kpar_value_id inner = unary(g, KPAR_SCALAR_TANH, x);
    const kpar_value_id inputs[] = {inner, scale};
    kpar_expression_builder *e = kpar_expression_begin(2);
    const kpar_x both[] = {kpar_x_mul(e, kpar_x_input(e, 0), kpar_x_input(e, 1)),
                           kpar_x_square(e, kpar_x_input(e, 0))};
    kpar_value_id made[2];
    ASSERT_OK(kpar_build_map_many(g, kpar_expression_end(e, g->arena, both, 2), inputs, 2, made));
    give(g, made[0]);
    kpar_graph_add_output(g, KPAR_OUTPUT_PREDICTION, 1, total(g, made[1]));
    ASSERT_OK(kpar_graph_fuse(g, &fused));
    ck_assert_int_eq(only_op(fused, KPAR_OP_MAP_REDUCE)->n_inputs, 1);
    ck_assert_int_eq(count_ops(fused, KPAR_OP_MAP), 2);
    for (int i = 0; i < 2; i++)
        ck_assert_double_eq_tol(evaluated(fused, fused->outputs[i].value), evaluated(g, g->outputs[i].value),
                                1e-12);
    kpar_graph_destroy(g);
    kpar_graph_destroy(fused);
}
END_TEST

/* Three sums over one tensor: two at once, the third needs the first. */
START_TEST(sums_over_the_same_elements_become_one_op_unless_they_need_each_other)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64), *fused = NULL;
    const kpar_value_id x = feature_of(g, 0, "b 4"), y = feature_of(g, 1, "b 4"), z = feature_of(g, 2, "b 4");
    const kpar_value_id first = total(g, x), second = total(g, binary(g, KPAR_SCALAR_MULTIPLY, x, y));
    const kpar_value_id other = total(g, unary(g, KPAR_SCALAR_SQUARE, z));
    const kpar_value_id third = total(g, binary(g, KPAR_SCALAR_SUBTRACT, x, first));
    const kpar_value_id sums[] = {first, second, other, third};
    for (int i = 0; i < 4; i++) kpar_graph_add_output(g, KPAR_OUTPUT_PREDICTION, i, sums[i]);
    ASSERT_OK(kpar_graph_fuse(g, &fused));
    ASSERT_OK(kpar_graph_check(fused));
    ck_assert_uint_eq(fused->n_ops, 3);
    ck_assert_int_eq(fused->ops[0].n_outputs, 2);
    ck_assert_int_eq(fused->ops[0].n_inputs, 2);
    for (int i = 0; i < 4; i++)
        ck_assert_double_eq_tol(evaluated(fused, fused->outputs[i].value), evaluated(g, g->outputs[i].value),
                                1e-12);
    kpar_graph_destroy(g);
    kpar_graph_destroy(fused);
}
END_TEST

START_TEST(what_repeats_a_vector_is_inlined_wherever_it_is_read)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    const kpar_value_id x = feature_of(g, 0, "b 4"), vector = variable_of(g, 0, "4");
    kpar_value_id repeated;
    ASSERT_OK(kpar_build_broadcast(g, shape("b 4"), vector, &repeated));
    const kpar_value_id sum = binary(g, KPAR_SCALAR_ADD, x, repeated);
    give(g, binary(g, KPAR_SCALAR_MULTIPLY, unary(g, KPAR_SCALAR_EXP, sum), repeated));
    g = passed(g, kpar_graph_fuse);
    ck_assert_uint_eq(g->n_ops, 1);
    ck_assert_int_eq(only_op(g, KPAR_OP_MAP)->n_inputs, 3);
    kpar_graph_destroy(g);
}
END_TEST

START_TEST(forward_and_backward_are_not_fused_and_mean_the_same)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    kpar_value_id y = dense(g, "one", 0, feature_of(g, 0, "b 5"), 4), gradient;
    y = dense(g, "two", 2, y, 3);
    const kpar_value_id w = variable_of(g, 0, ""), loss = total(g, unary(g, KPAR_SCALAR_SQUARE, y));
    ASSERT_OK(kpar_graph_gradient(g, loss, &w, 1, &gradient));
    g->part = KPAR_BACKWARD;
    give(g, total(g, unary(g, KPAR_SCALAR_ABSOLUTE, gradient)));
    const size_t before = g->n_ops;
    g = passed(g, kpar_graph_simplify);
    g = passed(g, kpar_graph_fuse);
    ck_assert_uint_lt(g->n_ops, before);
    for (size_t i = 0; i < g->n_ops; i++)
        for (int k = 0; k < g->ops[i].n_inputs; k++) {
            const kpar_value *v = &g->values[g->ops[i].inputs[k]];
            if (v->op >= 0) ck_assert_int_le(g->ops[v->op].part, g->ops[i].part);
        }
    kpar_graph_destroy(g);
}
END_TEST

/* --- dumps --- */

static kpar_graph *dumped_graph(void)
{
    kpar_graph *g = kpar_graph_create(KPAR_F32);
    const kpar_value_id y = dense(g, "dense", 0, feature_of(g, 0, "b 4"), 5);
    kpar_value_id sum;
    ASSERT_OK(kpar_build_accumulate(g, total(g, y), &sum));
    kpar_graph_add_output(g, KPAR_OUTPUT_REPORT, 0, sum);
    give(g, y);
    g->values[y].placement[KPAR_AXIS_DATA] = (kpar_placement){.kind = KPAR_SPLIT, .dim = 0};
    return g;
}

START_TEST(the_text_has_a_line_for_everything)
{
    static const char *const lines[] = {
        "%0 float32(batch, 4) = feature 0  # facts_rows ''\n",
        "%1 float32(4, 5) = variable 0  # state 'dense'\n",
        "%2 float32(batch, 5) = matmul(%0, %1)  # microbatch forward 'dense'\n",
        "= map(%2, %3) {2: input 0; input 1; add %0 %1 -> %2}  # microbatch forward 'dense'\n",
        "%5 float32(batch, 5) data:split(0) = map(%4)",
        "= reduce(%5) sum axes=0x3  # microbatch forward 'dense'\n",
        "= accumulate(%6)  # update 'dense'\n",
        "report 0: %7\n",
        "prediction 0: %5\n",
    };
    kpar_graph *g = dumped_graph();
    kpar_text text = {0};
    kpar_graph_dump_text(g, &text);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        ck_assert_msg(strstr(kpar_text_get(&text), lines[i]) != NULL, "no line '%s' in\n%s", lines[i],
                      kpar_text_get(&text));
    kpar_text_clear(&text);
    kpar_graph_destroy(g);
}
END_TEST

START_TEST(the_dot_graph_has_a_node_an_op_and_an_edge_a_read)
{
    kpar_graph *g = dumped_graph();
    kpar_text text = {0};
    kpar_graph_dump_dot(g, &text);
    const char *dot = kpar_text_get(&text);
    int edges = 0, reads = 0;
    for (const char *at = dot; (at = strstr(at, " -> ")); at += 4) edges++;
    for (size_t i = 0; i < g->n_ops; i++) {
        char node[64];
        snprintf(node, sizeof node, "  op%zu [label=", i);
        ck_assert_ptr_nonnull(strstr(dot, node));
        reads += g->ops[i].n_inputs;
    }
    ck_assert_int_eq(edges, reads);
    ck_assert(strncmp(dot, "digraph kpar {", 14) == 0 && strcmp(dot + strlen(dot) - 2, "}\n") == 0);
    kpar_text_clear(&text);
    kpar_graph_destroy(g);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("graph");
    TCase *ops = tcase_create("ops"), *passes = tcase_create("passes");
    tcase_add_test(ops, every_op_row_has_words_and_a_shape_rule);
    tcase_add_loop_test(ops, every_op_infers_its_shape_and_refuses_what_does_not_fit, 0, KPAR_OP_COUNT);
    tcase_add_test(ops, maps_broadcast_as_numpy_does);
    tcase_add_test(ops, maps_take_constants_in_and_leave_out_what_they_do_not_read);
    tcase_add_test(ops, the_same_source_is_one_value);
    tcase_add_test(ops, phases_read_only_what_exists_when_they_run);
    tcase_add_test(ops, accumulate_alone_leaves_a_replayed_phase);
    tcase_add_test(ops, damage_is_found);
    tcase_add_test(ops, the_text_has_a_line_for_everything);
    tcase_add_test(ops, the_dot_graph_has_a_node_an_op_and_an_edge_a_read);
    tcase_add_test(passes, simplify_drops_what_nobody_reads);
    tcase_add_test(passes, simplify_computes_the_same_only_once);
    tcase_add_test(passes, simplify_shares_no_random_numbers_and_nothing_of_two_phases);
    tcase_add_test(passes, simplify_shares_no_gradients_of_two_layers);
    tcase_add_test(passes, simplify_keeps_states_of_variables);
    tcase_add_loop_test(passes, an_op_that_is_taken_apart_means_the_same, 0, KPAR_OP_COUNT);
    tcase_add_test(passes, matmul_bias_and_relu_become_one_op);
    tcase_add_test(passes, a_chain_of_maps_becomes_one_map);
    tcase_add_test(passes, two_matmuls_that_meet_in_a_map_keep_their_own_op);
    tcase_add_test(passes, nothing_is_fused_across_layers);
    tcase_add_test(passes, maps_of_layers_on_one_stage_become_one_once_stages_are_cut);
    tcase_add_test(passes, maps_of_layers_on_two_stages_stay_apart);
    tcase_add_test(passes, what_others_read_or_see_is_not_fused_away);
    tcase_add_test(passes, maps_of_smaller_shape_stay_apart);
    tcase_add_test(passes, maps_before_a_sum_are_computed_while_it_is_summed);
    tcase_add_test(passes, what_a_sum_is_not_alone_to_read_is_kept);
    tcase_add_test(passes, sums_of_what_is_repeated_and_sums_of_the_update_keep_their_map);
    tcase_add_test(passes, an_output_that_is_only_summed_leaves_its_map);
    tcase_add_test(passes, sums_over_the_same_elements_become_one_op_unless_they_need_each_other);
    tcase_add_test(passes, what_repeats_a_vector_is_inlined_wherever_it_is_read);
    tcase_add_test(passes, forward_and_backward_are_not_fused_and_mean_the_same);
    suite_add_tcase(suite, ops);
    suite_add_tcase(suite, passes);
    return run_suite(suite);
}
