/* Ops that mix a dimension, in terms of ones that do so by reductions alone: these are for ranks that have parts of the
 * dimension. Softmax and cross-entropy are over the last dimension; Milakov and Gimelshein, "Online normalizer calculation
 * for softmax" (2018), say why a maximum and two sums are all that parts have to tell each other. */
#include "graph/build.h"
#include "graph/op_rules.h"
#include "graph/pass.h"

#define EXPAND(name)                                                                                         \
    static kpar_status expand_##name(kpar_graph *g, const kpar_op *op, const kpar_value_id *x,               \
                                     kpar_value_id *y)

/* The shape with size 1 in dimension `axis`. */
static kpar_shape kept(kpar_shape shape, int axis)
{
    shape.dims[axis] = (kpar_dim){1, false};
    return shape;
}

static int last_of(const kpar_graph *g, kpar_value_id v) { return g->values[v].shape.rank - 1; }

/* Over dimension `axis`, which is kept with size 1. */
static kpar_status reduce_kept(kpar_graph *g, kpar_reduction reduction, int axis, kpar_value_id v,
                               kpar_value_id *out)
{
    const kpar_shape shape = kept(g->values[v].shape, axis);
    KPAR_TRY(kpar_build_reduce(g, reduction, 1u << axis, v, out));
    return kpar_build_reshape(g, shape, *out, out);
}

/* The number of an element along `axis`, to broadcast to `shape`. */
static kpar_status numbers_along(kpar_graph *g, const kpar_shape *shape, int axis, kpar_value_id *out)
{
    kpar_shape own = {.rank = shape->rank - axis, .dims = {shape->dims[axis]}};
    for (int i = 1; i < own.rank; i++) own.dims[i] = (kpar_dim){1, false};
    return kpar_build_iota(g, 0, g->real, own, out);
}

static kpar_status apply(kpar_graph *g, kpar_expression_builder *e, kpar_x result,
                         const kpar_value_id *inputs, int n_inputs, kpar_value_id *out)
{
    return kpar_build_map(g, kpar_expression_end(e, g->arena, &result, 1), inputs, n_inputs, out);
}

/* The first element that is as large as the largest. */
EXPAND(arg_reduce)
{
    const int axis = op->attributes.axis;
    const kpar_shape shape = g->values[x[0]].shape;
    kpar_value_id inputs[3] = {x[0]};
    KPAR_TRY(reduce_kept(g, KPAR_REDUCE_MAX, axis, x[0], &inputs[1]));
    KPAR_TRY(numbers_along(g, &shape, axis, &inputs[2]));
    kpar_expression_builder *e = kpar_expression_begin(3);
    const kpar_x largest = kpar_x_eq(e, kpar_x_input(e, 0), kpar_x_input(e, 1)),
                 none = kpar_x_constant(e, (double)shape.dims[axis].size);
    KPAR_TRY(apply(g, e, kpar_x_select(e, largest, kpar_x_input(e, 2), none), inputs, 3, y));
    KPAR_TRY(kpar_build_reduce(g, KPAR_REDUCE_MIN, 1u << axis, *y, y));
    return kpar_build_cast(g, KPAR_I32, *y, y);
}

/* Of rows x: their maximum, exp(x - maximum) and the sum of these. */
static kpar_status exponentials(kpar_graph *g, kpar_value_id x, kpar_value_id *maximum, kpar_value_id *powers,
                                kpar_value_id *sum)
{
    KPAR_TRY(reduce_kept(g, KPAR_REDUCE_MAX, last_of(g, x), x, maximum));
    KPAR_TRY(kpar_build_binary(g, KPAR_SCALAR_SUBTRACT, x, *maximum, powers));
    KPAR_TRY(kpar_build_unary(g, KPAR_SCALAR_EXP, *powers, powers));
    return reduce_kept(g, KPAR_REDUCE_SUM, last_of(g, x), *powers, sum);
}

EXPAND(softmax)
{
    kpar_value_id maximum, powers, sum;
    (void)op;
    KPAR_TRY(exponentials(g, x[0], &maximum, &powers, &sum));
    return kpar_build_binary(g, KPAR_SCALAR_DIVIDE, powers, sum, y);
}

EXPAND(softmax_gradient)
{
    kpar_value_id sum;
    (void)op;
    KPAR_TRY(kpar_build_binary(g, KPAR_SCALAR_MULTIPLY, x[0], x[1], &sum));
    KPAR_TRY(reduce_kept(g, KPAR_REDUCE_SUM, last_of(g, sum), sum, &sum));
    kpar_expression_builder *e = kpar_expression_begin(3);
    const kpar_x difference = kpar_x_sub(e, kpar_x_input(e, 1), kpar_x_input(e, 2));
    return apply(g, e, kpar_x_mul(e, kpar_x_input(e, 0), difference), (kpar_value_id[]){x[0], x[1], sum}, 3,
                 y);
}

/* What labels are to the expressions that read them, as `inputs` from `first` on: the probability of each class, or class
 * number and number of the class. Returns how many inputs there are then. */
static kpar_status read_labels(kpar_graph *g, const kpar_op *op, const kpar_value_id *x, int first,
                               kpar_value_id *inputs, int *n_inputs)
{
    const kpar_shape shape = g->values[x[0]].shape;
    const int last = shape.rank - 1;
    *n_inputs = first + (op->attributes.sparse ? 2 : 1);
    inputs[first] = x[1];
    if (!op->attributes.sparse) return KPAR_OK;
    KPAR_TRY(kpar_build_reshape(g, kept(shape, last), x[1], &inputs[first]));
    KPAR_TRY(kpar_build_cast(g, g->real, inputs[first], &inputs[first]));
    return numbers_along(g, &shape, last, &inputs[first + 1]);
}

/* The probability of a class. */
static kpar_x label_of(kpar_expression_builder *e, const kpar_op *op, int first)
{
    const kpar_x label = kpar_x_input(e, first);
    return op->attributes.sparse ? kpar_x_eq(e, label, kpar_x_input(e, first + 1)) : label;
}

/* The sum of a row's probabilities: 1 of class numbers, or NaN where there is no such class, as the whole ops have it. */
static kpar_status sum_of_labels(kpar_graph *g, const kpar_op *op, const kpar_value_id *x, kpar_value_id *sum)
{
    const int last = last_of(g, x[0]);
    const int64_t classes = g->values[x[0]].shape.dims[last].size;
    if (!op->attributes.sparse) return reduce_kept(g, KPAR_REDUCE_SUM, last, x[1], sum);
    kpar_value_id inputs[2];
    int n;
    KPAR_TRY(read_labels(g, op, x, 0, inputs, &n));
    kpar_expression_builder *e = kpar_expression_begin(1);
    const kpar_x label = kpar_x_input(e, 0), above = kpar_x_le(e, kpar_x_constant(e, 0), label),
                 below = kpar_x_lt(e, label, kpar_x_constant(e, (double)classes)),
                 known = kpar_x_mul(e, above, below);
    return apply(g, e, kpar_x_div(e, known, known), inputs, 1, sum);
}

/* sum of t (log sum - (x - maximum)) */
EXPAND(cross_entropy)
{
    kpar_value_id powers, inputs[4] = {x[0]}, rows[3];
    int n;
    KPAR_TRY(exponentials(g, x[0], &inputs[1], &powers, &rows[0]));
    KPAR_TRY(sum_of_labels(g, op, x, &rows[1]));
    KPAR_TRY(read_labels(g, op, x, 2, inputs, &n));
    kpar_expression_builder *e = kpar_expression_begin(n);
    const kpar_x t = label_of(e, op, 2), zero = kpar_x_constant(e, 0),
                 below = kpar_x_mul(e, t, kpar_x_sub(e, kpar_x_input(e, 0), kpar_x_input(e, 1)));
    KPAR_TRY(apply(g, e, kpar_x_select(e, kpar_x_eq(e, t, zero), zero, below), inputs, n, &rows[2]));
    KPAR_TRY(reduce_kept(g, KPAR_REDUCE_SUM, last_of(g, x[0]), rows[2], &rows[2]));
    e = kpar_expression_begin(3);
    const kpar_x whole = kpar_x_mul(e, kpar_x_input(e, 1), kpar_x_log(e, kpar_x_input(e, 0)));
    KPAR_TRY(apply(g, e, kpar_x_sub(e, whole, kpar_x_input(e, 2)), rows, 3, y));
    kpar_shape shape = g->values[x[0]].shape;
    shape.rank--;
    return kpar_build_reshape(g, shape, *y, y);
}

/* (exp(x - maximum) / sum of them, times the sum of t, - t) dy */
EXPAND(cross_entropy_gradient)
{
    kpar_value_id maximum, inputs[6];
    int n;
    KPAR_TRY(exponentials(g, x[0], &maximum, &inputs[0], &inputs[1]));
    KPAR_TRY(sum_of_labels(g, op, x, &inputs[2]));
    KPAR_TRY(kpar_build_reshape(g, kept(g->values[x[0]].shape, last_of(g, x[0])), x[2], &inputs[3]));
    KPAR_TRY(read_labels(g, op, x, 4, inputs, &n));
    kpar_expression_builder *e = kpar_expression_begin(n);
    const kpar_x softmax = kpar_x_div(e, kpar_x_input(e, 0), kpar_x_input(e, 1)),
                 all = kpar_x_mul(e, softmax, kpar_x_input(e, 2));
    return apply(g, e, kpar_x_mul(e, kpar_x_sub(e, all, label_of(e, op, 4)), kpar_x_input(e, 3)), inputs, n,
                 y);
}

static kpar_status (*const rules[KPAR_OP_COUNT])(kpar_graph *g, const kpar_op *op, const kpar_value_id *x,
                                                 kpar_value_id *y) = {
    [KPAR_OP_ARG_REDUCE] = expand_arg_reduce,
    [KPAR_OP_SOFTMAX] = expand_softmax,
    [KPAR_OP_SOFTMAX_GRADIENT] = expand_softmax_gradient,
    [KPAR_OP_CROSS_ENTROPY] = expand_cross_entropy,
    [KPAR_OP_CROSS_ENTROPY_GRADIENT] = expand_cross_entropy_gradient,
};

bool kpar_op_expands(int kind) { return rules[kind] != NULL; }

/* What new ops get is what the op has. */
static kpar_status expand(kpar_rebuild *r, const kpar_op *op)
{
    kpar_graph *g = r->graph;
    kpar_value_id *inputs = kpar_arena_alloc(g->arena, ((size_t)op->n_inputs + 1) * sizeof *inputs);
    for (int i = 0; i < op->n_inputs; i++) inputs[i] = kpar_rebuild_source(r, op->inputs[i]);
    g->layer = op->layer;
    g->phase = op->phase;
    g->part = op->part;
    g->stage = op->stage;
    g->forward = -1;
    return rules[op->kind](g, op, inputs, &r->value[op->outputs[0]]);
}

kpar_status kpar_graph_expand(const kpar_graph *graph, const bool *chosen, kpar_graph **expanded)
{
    kpar_rebuild r;
    kpar_status status = KPAR_OK;
    kpar_rebuild_begin(&r, graph);
    for (size_t i = 0; i < graph->n_ops && status == KPAR_OK; i++)
        if (chosen[i])
            status = expand(&r, &graph->ops[i]);
        else
            kpar_rebuild_copy(&r, (kpar_op_id)i);
    if (status != KPAR_OK) {
        kpar_free(r.value);
        kpar_graph_destroy(r.graph);
        return status;
    }
    kpar_rebuild_end(&r);
    *expanded = r.graph;
    return KPAR_OK;
}
