/* The gradient of every op of the table against central differences of the op's plain meaning, in double. The
 * table is walked: an op without a case fails. */
#include "graph_evaluate.h"
#include "graph_fixture.h"
#include "unit.h"

enum { MAX_INPUTS = 3, BATCH = 3 };

/* A way to use an op. Its inputs are differentiated, but for those that make_input marks. */
typedef struct op_case {
    kpar_op_kind kind;
    const char *name;
    const char *inputs[MAX_INPUTS];
    kpar_status (*build)(kpar_graph *g, const kpar_value_id *x, kpar_value_id *y);
} op_case;

#define BUILD(name) static kpar_status build_##name(kpar_graph *g, const kpar_value_id *x, kpar_value_id *y)

BUILD(product) { return kpar_build_binary(g, KPAR_SCALAR_MULTIPLY, x[0], x[1], y); }
BUILD(tanh) { return kpar_build_unary(g, KPAR_SCALAR_TANH, x[0], y); }

/* Two outputs, a b and a + b^2, both of which count. */
BUILD(two_outputs)
{
    kpar_expression_builder *e = kpar_expression_begin(2);
    const kpar_x a = kpar_x_input(e, 0), b = kpar_x_input(e, 1);
    const kpar_x outputs[] = {kpar_x_mul(e, a, b), kpar_x_add(e, a, kpar_x_square(e, b))};
    kpar_value_id both[2];
    KPAR_TRY(kpar_build_map_many(g, kpar_expression_end(e, g->arena, outputs, 2), x, 2, both));
    return kpar_build_concat(g, 0, both, 2, y);
}

BUILD(broadcast) { return kpar_build_broadcast(g, shape("b 2 3"), x[0], y); }
BUILD(sum_of_all) { return kpar_build_reduce(g, KPAR_REDUCE_SUM, 7, x[0], y); }
BUILD(sum_of_middle) { return kpar_build_reduce(g, KPAR_REDUCE_SUM, 2, x[0], y); }
BUILD(sum_of_outer) { return kpar_build_reduce(g, KPAR_REDUCE_SUM, 5, x[0], y); }
BUILD(maximum) { return kpar_build_reduce(g, KPAR_REDUCE_MAX, 4, x[0], y); }
BUILD(minimum) { return kpar_build_reduce(g, KPAR_REDUCE_MIN, 2, x[0], y); }
BUILD(product_of_middle) { return kpar_build_reduce(g, KPAR_REDUCE_PRODUCT, 2, x[0], y); }
BUILD(sums_up_to) { return kpar_build_cumulative(g, KPAR_REDUCE_SUM, 1, false, false, x[0], y); }
BUILD(sums_behind) { return kpar_build_cumulative(g, KPAR_REDUCE_SUM, 1, true, true, x[0], y); }
BUILD(products_up_to) { return kpar_build_cumulative(g, KPAR_REDUCE_PRODUCT, 2, false, false, x[0], y); }
BUILD(products_from) { return kpar_build_cumulative(g, KPAR_REDUCE_PRODUCT, 1, false, true, x[0], y); }
BUILD(products_before) { return kpar_build_cumulative(g, KPAR_REDUCE_PRODUCT, 1, true, false, x[0], y); }
BUILD(matmul) { return kpar_build_matmul(g, x[0], false, x[1], false, y); }
BUILD(matmul_ta) { return kpar_build_matmul(g, x[0], true, x[1], false, y); }
BUILD(matmul_tb) { return kpar_build_matmul(g, x[0], false, x[1], true, y); }
BUILD(matmul_ta_tb) { return kpar_build_matmul(g, x[0], true, x[1], true, y); }
/* Padding before and after, strides and dilations of up to three dimensions. */
static const kpar_attributes plain_window = {.window = {0, 2, 2, 2}},
                             uneven_window = {.start = {0, 0, 1},
                                              .stop = {0, 1, 2},
                                              .stride = {0, 2, 3},
                                              .window = {0, 2, 3}},
                             dilated_window = {.start = {0, 2, 1}, .stop = {0, 0, 1}, .dilation = {0, 2, 3}};
BUILD(conv) { return kpar_build_conv(g, &plain_window, x[0], x[1], y); }
BUILD(conv_uneven) { return kpar_build_conv(g, &uneven_window, x[0], x[1], y); }
BUILD(conv_dilated) { return kpar_build_conv(g, &dilated_window, x[0], x[1], y); }
BUILD(conv_backward)
{
    kpar_attributes a = uneven_window;
    a.shape = shape("b 5 6 4");
    return kpar_build_conv_input_gradient(g, &a, x[0], x[1], y);
}
static kpar_status pool(kpar_graph *g, kpar_attributes window, kpar_reduction reduction, kpar_value_id x,
                        kpar_value_id *y)
{
    window.reduction = reduction;
    return kpar_build_pool(g, &window, x, y);
}
BUILD(max_pool) { return pool(g, plain_window, KPAR_REDUCE_MAX, x[0], y); }
BUILD(max_pool_uneven) { return pool(g, uneven_window, KPAR_REDUCE_MAX, x[0], y); }
BUILD(mean_pool) { return pool(g, plain_window, KPAR_REDUCE_SUM, x[0], y); }
BUILD(mean_pool_uneven) { return pool(g, uneven_window, KPAR_REDUCE_SUM, x[0], y); }
BUILD(transpose) { return kpar_build_transpose(g, (int[]){2, 0, 1}, x[0], y); }
BUILD(reshape) { return kpar_build_reshape(g, shape("b 2 2 3"), x[0], y); }
BUILD(slice)
{
    return kpar_build_slice(g, (int64_t[]){0, 1, 1}, (int64_t[]){KPAR_TO_END, 3, KPAR_TO_END}, x[0], y);
}
BUILD(pad) { return kpar_build_pad(g, (int64_t[]){0, 1, 2}, (int64_t[]){0, 3, 0}, x[0], y); }
BUILD(concat) { return kpar_build_concat(g, 1, x, 3, y); }
BUILD(concat_of_itself) { return kpar_build_concat(g, 1, (kpar_value_id[]){x[0], x[0]}, 2, y); }
BUILD(gather) { return kpar_build_gather(g, x[0], x[1], y); }
BUILD(gather_each) { return kpar_build_gather_each(g, x[0], x[1], y); }
BUILD(scatter_add)
{
    return kpar_graph_append(g, KPAR_OP_SCATTER_ADD, x, 2, &(kpar_attributes){.shape = shape("5 2")}, y);
}
BUILD(softmax) { return kpar_build_softmax(g, x[0], y); }
BUILD(cross_entropy) { return kpar_build_cross_entropy(g, x[0], x[1], false, y); }
BUILD(sparse_cross_entropy) { return kpar_build_cross_entropy(g, x[0], x[1], true, y); }
BUILD(compute_copy) { return kpar_build_compute_copy(g, x[0], y); }

static const op_case cases[] = {
    {KPAR_OP_MAP, "product", {"b 3", "b 3"}, build_product},
    {KPAR_OP_MAP, "bias", {"b 3", "3"}, build_product},
    {KPAR_OP_MAP, "outer product", {"b 1", "1 4"}, build_product},
    {KPAR_OP_MAP, "scalar first", {"", "b 2"}, build_product},
    {KPAR_OP_MAP, "tanh", {"2 3"}, build_tanh},
    {KPAR_OP_MAP, "two outputs", {"2 3", "2 3"}, build_two_outputs},
    {KPAR_OP_MAP, "broadcast", {"2 1"}, build_broadcast},
    {KPAR_OP_REDUCE, "sum of all", {"b 2 3"}, build_sum_of_all},
    {KPAR_OP_REDUCE, "sum over the middle", {"b 2 3"}, build_sum_of_middle},
    {KPAR_OP_REDUCE, "sum over the outer dimensions", {"b 2 3"}, build_sum_of_outer},
    {KPAR_OP_REDUCE, "maximum", {"b 2 3"}, build_maximum},
    {KPAR_OP_REDUCE, "minimum", {"b 2 3"}, build_minimum},
    {KPAR_OP_REDUCE, "product", {"b 3 2"}, build_product_of_middle},
    {KPAR_OP_CUMULATIVE, "sums", {"b 4"}, build_sums_up_to},
    {KPAR_OP_CUMULATIVE, "sums, exclusive and reverse", {"b 4 2"}, build_sums_behind},
    {KPAR_OP_CUMULATIVE, "products", {"b 2 4"}, build_products_up_to},
    {KPAR_OP_CUMULATIVE, "products, reverse", {"b 4 2"}, build_products_from},
    {KPAR_OP_CUMULATIVE, "products, exclusive", {"b 3"}, build_products_before},
    {KPAR_OP_MATMUL, "a b", {"b 4", "4 2"}, build_matmul},
    {KPAR_OP_MATMUL, "aT b", {"4 b", "4 2"}, build_matmul_ta},
    {KPAR_OP_MATMUL, "a bT", {"b 4", "2 4"}, build_matmul_tb},
    {KPAR_OP_MATMUL, "aT bT", {"4 b", "2 4"}, build_matmul_ta_tb},
    {KPAR_OP_MATMUL, "a b of stacks", {"b 2 4", "b 4 3"}, build_matmul},
    {KPAR_OP_MATMUL, "aT b of stacks", {"b 4 2", "b 4 3"}, build_matmul_ta},
    {KPAR_OP_MATMUL, "a bT of stacks", {"b 2 4", "b 3 4"}, build_matmul_tb},
    {KPAR_OP_MATMUL, "aT bT of stacks", {"b 4 2", "b 3 4"}, build_matmul_ta_tb},
    {KPAR_OP_CONV, "one dimension", {"b 5 3", "2 3 4"}, build_conv},
    {KPAR_OP_CONV, "two dimensions", {"b 4 5 2", "3 2 2 3"}, build_conv},
    {KPAR_OP_CONV, "three dimensions", {"b 3 2 4 2", "2 1 3 2 2"}, build_conv},
    {KPAR_OP_CONV, "strides and uneven padding", {"b 5 6 2", "3 2 2 3"}, build_conv_uneven},
    {KPAR_OP_CONV, "dilation", {"b 5 6 2", "2 2 2 3"}, build_conv_dilated},
    {KPAR_OP_CONV, "groups", {"b 5 6 4", "3 2 2 6"}, build_conv_uneven},
    {KPAR_OP_CONV, "a group for each channel", {"b 5 6 3", "3 2 1 6"}, build_conv_dilated},
    {KPAR_OP_CONV_INPUT_GRADIENT, "groups", {"b 2 3 6", "3 2 2 6"}, build_conv_backward},
    {KPAR_OP_POOL, "maximum", {"b 4 5 2"}, build_max_pool},
    {KPAR_OP_POOL, "maximum, strides and uneven padding", {"b 5 6 2"}, build_max_pool_uneven},
    {KPAR_OP_POOL, "maximum in one dimension", {"b 5 2"}, build_max_pool},
    {KPAR_OP_POOL, "mean", {"b 3 3 3 2"}, build_mean_pool},
    {KPAR_OP_POOL, "mean, strides and uneven padding", {"b 5 6 2"}, build_mean_pool_uneven},
    {KPAR_OP_TRANSPOSE, "(2, 0, 1)", {"b 2 4"}, build_transpose},
    {KPAR_OP_RESHAPE, "split a dimension", {"b 4 3"}, build_reshape},
    {KPAR_OP_SLICE, "part of two dimensions", {"b 4 3"}, build_slice},
    {KPAR_OP_PAD, "two dimensions", {"b 2 3"}, build_pad},
    {KPAR_OP_CONCAT, "three parts", {"b 2 3", "b 1 3", "b 4 3"}, build_concat},
    {KPAR_OP_CONCAT, "twice the same", {"b 2 3"}, build_concat_of_itself},
    {KPAR_OP_GATHER, "a row for each index", {"5 2", "#b"}, build_gather},
    {KPAR_OP_GATHER, "indices of two dimensions", {"5 2", "#b 4"}, build_gather},
    {KPAR_OP_GATHER, "a table for each sample", {"b 5 2", "#b 4"}, build_gather_each},
    {KPAR_OP_SCATTER_ADD, "a row for each index", {"b 2", "#b"}, build_scatter_add},
    {KPAR_OP_SOFTMAX, "rows", {"b 4"}, build_softmax},
    {KPAR_OP_SOFTMAX, "rows of three dimensions", {"b 2 3"}, build_softmax},
    {KPAR_OP_CROSS_ENTROPY, "probabilities", {"b 4", "?b 4"}, build_cross_entropy},
    {KPAR_OP_CROSS_ENTROPY, "class numbers", {"b 4", "#b"}, build_sparse_cross_entropy},
    {KPAR_OP_COMPUTE_COPY, "matrix", {"3 4"}, build_compute_copy},
};
enum { CASES = sizeof cases / sizeof cases[0] };

/* What a row without a gradient rule does on the way from the loss to what is wanted. */
typedef enum without_rule {
    HAS_A_RULE,
    REFUSES, /* KPAR_EUNSUPPORTED, naming layer and op */
    NO_WAY,  /* nothing to differentiate: no inputs, no outputs, or integers */
} without_rule;

static const struct {
    without_rule rule;
    const char *inputs[MAX_INPUTS];
    const char *shape; /* attribute */
} without[KPAR_OP_COUNT] = {
    [KPAR_OP_ARG_REDUCE] = {NO_WAY, {"4"}, ""},
    [KPAR_OP_MAP_REDUCE] = {REFUSES, {"b 4"}, ""},
    [KPAR_OP_CONV_KERNEL_GRADIENT] = {REFUSES, {"b 4 2", "b 3 5"}, "2 2 5"},
    [KPAR_OP_MAX_POOL_GRADIENT] = {REFUSES, {"b 4 2", "b 4 2"}, ""},
    [KPAR_OP_MEAN_POOL_GRADIENT] = {REFUSES, {"b 4 2"}, "b 4 2"},
    [KPAR_OP_CONSTANT] = {NO_WAY, {NULL}, "4"},
    [KPAR_OP_IOTA] = {NO_WAY, {NULL}, "4"},
    [KPAR_OP_RANDOM] = {REFUSES, {"!b", "!"}, "b 4"},
    [KPAR_OP_SOFTMAX_GRADIENT] = {REFUSES, {"b 4", "b 4"}, ""},
    [KPAR_OP_CROSS_ENTROPY_GRADIENT] = {REFUSES, {"b 4", "b 4", "b"}, ""},
    [KPAR_OP_ACCUMULATE] = {REFUSES, {"4"}, ""},
    [KPAR_OP_SPLIT] = {REFUSES, {"4"}, ""},
    [KPAR_OP_ALL_REDUCE] = {REFUSES, {"4"}, ""},
    [KPAR_OP_REDUCE_SCATTER] = {REFUSES, {"4"}, ""},
    [KPAR_OP_ALL_GATHER] = {REFUSES, {"4"}, ""},
    [KPAR_OP_SEND] = {NO_WAY, {"4"}, ""},
    [KPAR_OP_RECEIVE] = {NO_WAY, {NULL}, "4"},
};

/* The case's input number `i`: '#' int32, '!' int64, '?' real but not differentiated. */
static kpar_value_id make_input(kpar_graph *g, const char *text, int i, bool *wanted)
{
    const char mark = *text == '#' || *text == '!' || *text == '?' ? *text : 0;
    *wanted = mark == 0;
    const kpar_dtype dtype = mark == '#' ? KPAR_I32 : mark == '!' ? KPAR_I64 : KPAR_F64;
    return source(g, KPAR_FROM_VARIABLE, i, dtype, text + (mark != 0));
}

/* y weighed by a feature of its shape and summed: every element of y has a gradient of its own. */
static kpar_value_id loss_of(kpar_graph *g, kpar_value_id y)
{
    const kpar_value_id weights = kpar_graph_source(g, KPAR_FROM_FEATURE, 9, KPAR_F64, g->values[y].shape);
    return total(g, binary(g, KPAR_SCALAR_MULTIPLY, y, weights));
}

/* What evaluations of one graph share: one element of one value may be moved. */
typedef struct nudge {
    int index;
    int64_t element;
    double by;
} nudge;

static void nudged_source(void *context, const kpar_value *v, double *elements, int64_t count)
{
    const nudge *n = context;
    fill_source(NULL, v, elements, count);
    if (v->source == KPAR_FROM_VARIABLE && v->index == n->index) elements[n->element] += n->by;
}

static evaluation evaluate_nudged(const kpar_graph *g, nudge *n)
{
    evaluation e = {.graph = g, .batch = BATCH, .source = nudged_source, .context = n};
    evaluate(&e);
    return e;
}

static double loss_at(const kpar_graph *g, kpar_value_id loss, nudge n)
{
    evaluation e = evaluate_nudged(g, &n);
    const double value = e.values[loss][0];
    evaluation_free(&e);
    return value;
}

/* The gradient of `wanted` (a variable) against central differences. */
static void assert_gradient(const kpar_graph *g, kpar_value_id loss, kpar_value_id wanted,
                            kpar_value_id gradient, const char *title)
{
    const double step = 1e-5;
    nudge none = {.index = -1};
    const int index = g->values[wanted].index;
    evaluation e = evaluate_nudged(g, &none);
    ck_assert_msg(gradient >= 0, "%s: input %d has no gradient", title, index);
    ck_assert_msg(kpar_shape_equal(&g->values[wanted].shape, &g->values[gradient].shape),
                  "%s: the gradient of input %d has another shape", title, index);
    for (int64_t i = 0; i < count_of(&e, wanted); i++) {
        const double above = loss_at(g, loss, (nudge){index, i, step}),
                     below = loss_at(g, loss, (nudge){index, i, -step});
        const double expected = (above - below) / (2 * step), found = e.values[gradient][i];
        ck_assert_msg(fabs(found - expected) <= 1e-7 * (1 + fabs(expected)),
                      "%s: input %d, element %d: gradient %.12g, difference %.12g", title, index, (int)i,
                      found, expected);
    }
    evaluation_free(&e);
}

static void check_case(const op_case *c)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    kpar_value_id x[MAX_INPUTS], wanted[MAX_INPUTS], gradients[MAX_INPUTS], y;
    int n = 0, n_wanted = 0;
    bool differentiated;
    for (; n < MAX_INPUTS && c->inputs[n]; n++) {
        x[n] = make_input(g, c->inputs[n], n, &differentiated);
        if (differentiated) wanted[n_wanted++] = x[n];
    }
    ASSERT_OK(c->build(g, x, &y));
    const kpar_value_id loss = loss_of(g, y);
    ck_assert_msg(count_ops(g, c->kind) > 0, "the case '%s' has no such op", c->name);
    ASSERT_OK(kpar_graph_gradient(g, loss, wanted, n_wanted, gradients));
    ASSERT_OK(kpar_graph_check(g));
    char title[128];
    snprintf(title, sizeof title, "%s, %s", kpar_op_row_get(c->kind)->name, c->name);
    for (int i = 0; i < n_wanted; i++) assert_gradient(g, loss, wanted[i], gradients[i], title);
    kpar_graph_destroy(g);
}

START_TEST(every_op_with_a_gradient_agrees_with_differences)
{
    const kpar_op_kind kind = (kpar_op_kind)_i;
    const kpar_op_row *row = kpar_op_row_get(kind);
    int n = 0;
    for (int i = 0; i < CASES; i++) {
        if (cases[i].kind != kind) continue;
        check_case(&cases[i]);
        n++;
    }
    ck_assert_msg(!row->gradient || n > 0, "op %s has a gradient and no case here", row->name);
    ck_assert_msg(row->gradient || n == 0, "op %s has no gradient but a case here", row->name);
}
END_TEST

START_TEST(every_op_without_a_gradient_says_so_or_leads_nowhere)
{
    const kpar_op_kind kind = (kpar_op_kind)_i;
    const kpar_op_row *row = kpar_op_row_get(kind);
    ck_assert_msg((without[kind].rule == HAS_A_RULE) == (row->gradient != NULL),
                  "op %s: no line here says what it does", row->name);
    if (row->gradient) return;
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    const kpar_value_id other = variable_of(g, 8, "");
    kpar_value_id x[MAX_INPUTS], gradients[MAX_INPUTS], y = other;
    static const kpar_scalar input = {.op = KPAR_SCALAR_INPUT};
    static const int first = 0;
    static const kpar_expression identity = {1, 1, 1, &input, &first};
    const kpar_attributes attributes = {.shape = shape(without[kind].shape),
                                        .dtype = KPAR_F64,
                                        .expression = kind == KPAR_OP_MAP_REDUCE ? &identity : NULL};
    int n = 0;
    bool differentiated;
    for (; n < MAX_INPUTS && without[kind].inputs[n]; n++)
        x[n] = make_input(g, without[kind].inputs[n], n, &differentiated);
    g->layer = "strange";
    kpar_value_id made;
    ASSERT_OK(kpar_graph_append(g, kind, x, n, &attributes, &made));
    if (made >= 0) y = binary(g, KPAR_SCALAR_ADD, other, made);
    const kpar_value_id loss = loss_of(g, y);
    if (without[kind].rule == REFUSES)
        ASSERT_FAILS(kpar_graph_gradient(g, loss, x, n, gradients), KPAR_EUNSUPPORTED, "'strange'",
                     row->name);
    else {
        ASSERT_OK(kpar_graph_gradient(g, loss, x, n, gradients));
        for (int i = 0; i < n; i++) ck_assert_int_eq(gradients[i], -1);
    }
    kpar_graph_destroy(g);
}
END_TEST

START_TEST(gradients_of_a_value_used_twice_add_up)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    const kpar_value_id x = variable_of(g, 0, "3 3"), squared = matmul(g, x, x);
    const kpar_value_id product = binary(g, KPAR_SCALAR_MULTIPLY, squared, unary(g, KPAR_SCALAR_EXP, x));
    const kpar_value_id loss = loss_of(g, product);
    kpar_value_id gradient;
    ASSERT_OK(kpar_graph_gradient(g, loss, &x, 1, &gradient));
    assert_gradient(g, loss, x, gradient, "x x exp(x)");
    kpar_graph_destroy(g);
}
END_TEST

enum { STEPS = 4 };

/* h = tanh(x_t + h W + b), over x (batch, STEPS, 3), from elements [first, STEPS) of it. */
static kpar_value_id recurrence(kpar_graph *g, kpar_value_id x, kpar_value_id w, kpar_value_id b, int first)
{
    kpar_value_id h = feature_of(g, 0, "b 3"), step;
    for (int t = first; t < STEPS; t++) {
        ASSERT_OK(kpar_build_slice(g, (int64_t[]){0, t, 0}, (int64_t[]){KPAR_TO_END, t + 1, KPAR_TO_END}, x,
                                   &step));
        ASSERT_OK(kpar_build_reshape(g, shape("b 3"), step, &step));
        h = binary(g, KPAR_SCALAR_ADD, binary(g, KPAR_SCALAR_ADD, matmul(g, h, w), b), step);
        h = unary(g, KPAR_SCALAR_TANH, h);
    }
    return h;
}

static int count_live(const kpar_graph *g, kpar_op_kind kind, bool transposed)
{
    kpar_graph *live;
    int n = 0;
    ASSERT_OK(kpar_graph_simplify(g, &live));
    for (size_t i = 0; i < live->n_ops; i++)
        n += live->ops[i].kind == (int)kind && live->ops[i].attributes.transpose_a == transposed;
    kpar_graph_destroy(live);
    return n;
}

START_TEST(steps_that_share_a_weight_give_its_gradient_by_one_product)
{
    for (int first = 0; first < 2; first++) { /* 1: a gap, which no step has read */
        kpar_graph *g = kpar_graph_create(KPAR_F64);
        kpar_value_id wanted[3] = {variable_of(g, 0, "12"), variable_of(g, 1, "3 3"), variable_of(g, 2, "3")};
        kpar_value_id gradients[3], start;
        ASSERT_OK(kpar_build_reshape(g, shape("1 4 3"), wanted[0], &start));
        ASSERT_OK(kpar_build_broadcast(g, shape("b 4 3"), start, &start));
        g->layer = "steps";
        const kpar_value_id loss = loss_of(g, recurrence(g, start, wanted[1], wanted[2], first));
        ASSERT_OK(kpar_graph_gradient(g, loss, wanted, 3, gradients));
        ASSERT_OK(kpar_graph_check(g));
        for (int i = 0; i < 3; i++) {
            assert_gradient(g, loss, wanted[i], gradients[i], "steps");
            kpar_graph_set_state(g, wanted[i], wanted[i]);
            kpar_graph_add_output(g, KPAR_OUTPUT_REPORT, i, gradients[i]);
        }
        ck_assert_int_eq(count_live(g, KPAR_OP_MATMUL, true), 1);
        ck_assert_int_eq(count_live(g, KPAR_OP_PAD, false), 0);
        ck_assert_int_eq(count_live(g, KPAR_OP_REDUCE, false), 2); /* b's gradient, and that of x over rows */
        kpar_graph_destroy(g);
    }
}
END_TEST

START_TEST(parts_that_overlap_are_added)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    const kpar_value_id x = variable_of(g, 0, "5 2");
    kpar_value_id one, other, gradient;
    ASSERT_OK(kpar_build_slice(g, (int64_t[]){0, 0}, (int64_t[]){3, KPAR_TO_END}, x, &one));
    ASSERT_OK(kpar_build_slice(g, (int64_t[]){2, 0}, (int64_t[]){5, KPAR_TO_END}, x, &other));
    const kpar_value_id loss = loss_of(g, binary(g, KPAR_SCALAR_MULTIPLY, one, other));
    ASSERT_OK(kpar_graph_gradient(g, loss, &x, 1, &gradient));
    assert_gradient(g, loss, x, gradient, "overlap");
    kpar_graph_destroy(g);
}
END_TEST

START_TEST(a_network_of_three_layers_agrees_with_differences)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    kpar_value_id y = dense(g, "one", 0, feature_of(g, 0, "b 5"), 6), loss, wanted[6], gradients[6];
    y = dense(g, "two", 2, y, 4);
    y = dense(g, "three", 4, y, 3);
    ASSERT_OK(kpar_build_cross_entropy(g, y, source(g, KPAR_FROM_LABEL, 0, KPAR_I32, "b"), true, &loss));
    loss = total(g, loss);
    for (int i = 0; i < 6; i++) wanted[i] = variable_of(g, i, "");
    ASSERT_OK(kpar_graph_gradient(g, loss, wanted, 6, gradients));
    ASSERT_OK(kpar_graph_check(g));
    for (int i = 0; i < 6; i++) assert_gradient(g, loss, wanted[i], gradients[i], "network");
    kpar_graph_destroy(g);
}
END_TEST

START_TEST(what_the_loss_does_not_depend_on_has_no_gradient)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    const kpar_value_id wanted[] = {variable_of(g, 0, "2"), variable_of(g, 1, "2")};
    const kpar_value_id loss = total(g, unary(g, KPAR_SCALAR_EXP, wanted[1]));
    kpar_value_id gradients[2];
    ASSERT_OK(kpar_graph_gradient(g, loss, wanted, 2, gradients));
    ck_assert_int_eq(gradients[0], -1);
    ck_assert_int_ge(gradients[1], 0);
    kpar_graph_destroy(g);
}
END_TEST

START_TEST(values_that_an_op_makes_can_be_wanted)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    const kpar_value_id wanted = unary(g, KPAR_SCALAR_EXP, variable_of(g, 0, "2"));
    const kpar_value_id loss = total(g, unary(g, KPAR_SCALAR_SQUARE, wanted));
    kpar_value_id gradient;
    nudge none = {.index = -1};
    ASSERT_OK(kpar_graph_gradient(g, loss, &wanted, 1, &gradient));
    ck_assert_int_ge(gradient, 0);
    evaluation e = evaluate_nudged(g, &none);
    for (int i = 0; i < 2; i++) ck_assert_double_eq(e.values[gradient][i], 2 * e.values[wanted][i]);
    evaluation_free(&e);
    kpar_graph_destroy(g);
}
END_TEST

/* Only what is wanted is computed: x W needs one matmul backward for W, none for x. */
START_TEST(no_gradient_is_computed_that_nobody_wants)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    const kpar_value_id x = feature_of(g, 0, "b 4"), w = variable_of(g, 0, "4 2");
    const kpar_value_id loss = loss_of(g, matmul(g, x, w));
    kpar_value_id gradient;
    ASSERT_OK(kpar_graph_gradient(g, loss, &w, 1, &gradient));
    ck_assert_int_eq(count_ops(g, KPAR_OP_MATMUL), 2);
    kpar_graph_destroy(g);
}
END_TEST

START_TEST(equal_maxima_share_the_gradient)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    const kpar_value_id x = variable_of(g, 0, "4");
    const kpar_value_id signs = unary(g, KPAR_SCALAR_SQUARE, unary(g, KPAR_SCALAR_SIGN, x)); /* four ones */
    kpar_value_id y, gradient;
    ASSERT_OK(kpar_build_reduce(g, KPAR_REDUCE_MAX, 1, signs, &y));
    ASSERT_OK(kpar_graph_gradient(g, y, &signs, 1, &gradient));
    nudge none = {.index = -1};
    evaluation e = evaluate_nudged(g, &none);
    for (int i = 0; i < 4; i++) ck_assert_double_eq(e.values[gradient][i], 0.25);
    evaluation_free(&e);
    kpar_graph_destroy(g);
}
END_TEST

/* Windows of ties give the gradient to the first cell. */
START_TEST(the_first_of_equal_maxima_of_a_window_has_the_gradient)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    const kpar_value_id x = variable_of(g, 0, "1 2 2 1");
    const kpar_value_id ones = unary(g, KPAR_SCALAR_SQUARE, unary(g, KPAR_SCALAR_SIGN, x));
    kpar_value_id y, gradient;
    ASSERT_OK(pool(g, plain_window, KPAR_REDUCE_MAX, ones, &y));
    const kpar_value_id loss = total(g, y);
    ASSERT_OK(kpar_graph_gradient(g, loss, &ones, 1, &gradient));
    nudge none = {.index = -1};
    evaluation e = evaluate_nudged(g, &none);
    for (int i = 0; i < 4; i++) ck_assert_double_eq(e.values[gradient][i], i == 0);
    evaluation_free(&e);
    kpar_graph_destroy(g);
}
END_TEST

START_TEST(backward_ops_name_their_layer_and_the_op_they_come_from)
{
    kpar_graph *g = kpar_graph_create(KPAR_F64);
    kpar_value_id y = dense(g, "one", 0, feature_of(g, 0, "b 5"), 6), gradient;
    const size_t forward = g->n_ops;
    const kpar_value_id w = variable_of(g, 0, "5 6"), loss = loss_of(g, y);
    ASSERT_OK(kpar_graph_gradient(g, loss, &w, 1, &gradient));
    const kpar_op *op = &g->ops[g->values[gradient].op];
    ck_assert_str_eq(op->layer, "one");
    ck_assert_int_eq(op->part, KPAR_BACKWARD);
    ck_assert_int_lt(op->forward, (int)forward);
    ck_assert_int_eq(g->ops[op->forward].kind, KPAR_OP_MATMUL);
    ck_assert_int_eq(g->part, KPAR_FORWARD);
    kpar_graph_destroy(g);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gradient");
    TCase *tcase = tcase_create("gradient");
    tcase_add_loop_test(tcase, every_op_with_a_gradient_agrees_with_differences, 0, KPAR_OP_COUNT);
    tcase_add_loop_test(tcase, every_op_without_a_gradient_says_so_or_leads_nowhere, 0, KPAR_OP_COUNT);
    tcase_add_test(tcase, gradients_of_a_value_used_twice_add_up);
    tcase_add_test(tcase, steps_that_share_a_weight_give_its_gradient_by_one_product);
    tcase_add_test(tcase, parts_that_overlap_are_added);
    tcase_add_test(tcase, a_network_of_three_layers_agrees_with_differences);
    tcase_add_test(tcase, what_the_loss_does_not_depend_on_has_no_gradient);
    tcase_add_test(tcase, values_that_an_op_makes_can_be_wanted);
    tcase_add_test(tcase, no_gradient_is_computed_that_nobody_wants);
    tcase_add_test(tcase, equal_maxima_share_the_gradient);
    tcase_add_test(tcase, the_first_of_equal_maxima_of_a_window_has_the_gradient);
    tcase_add_test(tcase, backward_ops_name_their_layer_and_the_op_they_come_from);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
