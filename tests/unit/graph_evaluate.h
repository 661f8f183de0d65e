/* A graph's meaning in plain loops over doubles, op after op, for unit tests: one microbatch, one rank. */
#ifndef KPAR_TESTS_GRAPH_EVALUATE_H
#define KPAR_TESTS_GRAPH_EVALUATE_H

#include "base/philox.h"
#include "graph/op.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct evaluation {
    const kpar_graph *graph;
    int64_t batch;
    double **values; /* by value id; NULL: not computed */
    /* Fills the elements of a value without a producing op. */
    void (*source)(void *context, const kpar_value *value, double *elements, int64_t count);
    void *context;
} evaluation;

static int64_t size_of(const evaluation *e, const kpar_shape *shape, int dim)
{
    return shape->dims[dim].size * (shape->dims[dim].batch ? e->batch : 1);
}

static int64_t count_of(const evaluation *e, kpar_value_id id)
{
    const kpar_shape *shape = &e->graph->values[id].shape;
    int64_t count = 1;
    for (int i = 0; i < shape->rank; i++) count *= size_of(e, shape, i);
    return count;
}

/* Sizes before, of and after dimension `axis`. */
static void around(const evaluation *e, const kpar_shape *shape, int axis, int64_t *outer, int64_t *size,
                   int64_t *inner)
{
    *outer = *inner = 1;
    *size = size_of(e, shape, axis);
    for (int i = 0; i < axis; i++) *outer *= size_of(e, shape, i);
    for (int i = axis + 1; i < shape->rank; i++) *inner *= size_of(e, shape, i);
}

/* Index in a value of shape `from` of what element `index` of shape `to` reads, by numpy's broadcasting. */
static int64_t broadcast_index(const evaluation *e, const kpar_shape *to, const kpar_shape *from,
                               int64_t index)
{
    int64_t result = 0, stride = 1;
    for (int i = 1; i <= to->rank; i++) {
        int64_t size = size_of(e, to, to->rank - i), at = index % size;
        index /= size;
        if (i > from->rank) continue;
        int64_t own = size_of(e, from, from->rank - i);
        result += own == 1 ? 0 : at * stride;
        stride *= own;
    }
    return result;
}

static void evaluate_map(evaluation *e, const kpar_op *op)
{
    const kpar_value *v = e->graph->values;
    double inputs[64], outputs[KPAR_OP_OUTPUTS];
    for (int64_t i = 0; i < count_of(e, op->outputs[0]); i++) {
        for (int k = 0; k < op->n_inputs; k++)
            inputs[k] = e->values[op->inputs[k]]
                                 [broadcast_index(e, &v[op->outputs[0]].shape, &v[op->inputs[k]].shape, i)];
        kpar_expression_evaluate(op->attributes.expression, inputs, outputs);
        for (int k = 0; k < op->n_outputs; k++) e->values[op->outputs[k]][i] = outputs[k];
    }
}

static double combine(kpar_reduction reduction, double a, double b)
{
    return reduction == KPAR_REDUCE_SUM       ? a + b
           : reduction == KPAR_REDUCE_PRODUCT ? a * b
           : reduction == KPAR_REDUCE_MAX     ? fmax(a, b)
                                              : fmin(a, b);
}

static double start_of(kpar_reduction reduction)
{
    return reduction == KPAR_REDUCE_SUM       ? 0
           : reduction == KPAR_REDUCE_PRODUCT ? 1
           : reduction == KPAR_REDUCE_MAX     ? -INFINITY
                                              : INFINITY;
}

/* out = the reduction of n values of `shape`. */
static void reduce(const evaluation *e, const kpar_op *op, const kpar_shape *shape, const double *values,
                   int64_t n, double *out)
{
    const kpar_reduction reduction = op->attributes.reduction;
    for (int64_t i = 0; i < count_of(e, op->outputs[0]); i++) out[i] = start_of(reduction);
    for (int64_t i = 0; i < n; i++) {
        int64_t target = 0, stride = 1, index = i;
        for (int d = shape->rank; d-- > 0;) {
            int64_t size = size_of(e, shape, d);
            if (!(op->attributes.axes >> d & 1)) {
                target += index % size * stride;
                stride *= size;
            }
            index /= size;
        }
        out[target] = combine(reduction, out[target], values[i]);
    }
}

static void evaluate_reduce(evaluation *e, const kpar_op *op)
{
    const kpar_value_id x = op->inputs[0];
    reduce(e, op, &e->graph->values[x].shape, e->values[x], count_of(e, x), e->values[op->outputs[0]]);
}

/* Of an expression whose largest input has the shape of the whole. */
static void evaluate_map_reduce(evaluation *e, const kpar_op *op)
{
    const kpar_value *v = e->graph->values;
    kpar_value_id largest = op->inputs[0];
    double inputs[64], outputs[KPAR_OP_OUTPUTS];
    for (int k = 1; k < op->n_inputs; k++)
        if (count_of(e, op->inputs[k]) > count_of(e, largest)) largest = op->inputs[k];
    const int64_t n = count_of(e, largest);
    double *whole = calloc((size_t)n * (size_t)op->n_outputs + 1, sizeof *whole);
    for (int64_t i = 0; i < n; i++) {
        for (int k = 0; k < op->n_inputs; k++)
            inputs[k] =
                e->values[op->inputs[k]][broadcast_index(e, &v[largest].shape, &v[op->inputs[k]].shape, i)];
        kpar_expression_evaluate(op->attributes.expression, inputs, outputs);
        for (int k = 0; k < op->n_outputs; k++) whole[k * n + i] = outputs[k];
    }
    for (int k = 0; k < op->n_outputs; k++)
        reduce(e, op, &v[largest].shape, whole + k * n, n, e->values[op->outputs[k]]);
    free(whole);
}

/* Each element by itself: everything that counts for it. */
static void evaluate_cumulative(evaluation *e, const kpar_op *op)
{
    const kpar_attributes *a = &op->attributes;
    int64_t outer, size, inner;
    around(e, &e->graph->values[op->inputs[0]].shape, a->axis, &outer, &size, &inner);
    for (int64_t i = 0; i < outer * size * inner; i++) {
        const int64_t at = i / inner % size, first = i - at * inner;
        double *result = &e->values[op->outputs[0]][i];
        *result = start_of(a->reduction);
        for (int64_t k = 0; k < size; k++)
            if ((a->reverse ? k > at : k < at) || (k == at && !a->exclusive))
                *result = combine(a->reduction, *result, e->values[op->inputs[0]][first + k * inner]);
    }
}

static void evaluate_arg_max(evaluation *e, const kpar_op *op)
{
    int64_t outer, size, inner;
    around(e, &e->graph->values[op->inputs[0]].shape, op->attributes.axis, &outer, &size, &inner);
    const double *x = e->values[op->inputs[0]];
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            int64_t best = 0;
            for (int64_t k = 1; k < size; k++)
                if (x[(o * size + k) * inner + i] > x[(o * size + best) * inner + i]) best = k;
            e->values[op->outputs[0]][o * inner + i] = (double)best;
        }
}

static void evaluate_matmul(evaluation *e, const kpar_op *op)
{
    const kpar_shape *a = &e->graph->values[op->inputs[0]].shape, *b = &e->graph->values[op->inputs[1]].shape;
    const bool ta = op->attributes.transpose_a, tb = op->attributes.transpose_b;
    const int r = a->rank;
    const int64_t rows = size_of(e, a, r - 2 + ta), inner = size_of(e, a, r - 1 - ta),
                  columns = size_of(e, b, r - 1 - tb), matrices = count_of(e, op->inputs[0]) / (rows * inner);
    for (int64_t p = 0; p < matrices; p++) {
        const double *x = e->values[op->inputs[0]] + p * rows * inner;
        const double *y = e->values[op->inputs[1]] + p * inner * columns;
        double *out = e->values[op->outputs[0]] + p * rows * columns;
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < columns; j++)
                for (int64_t k = 0; k < inner; k++)
                    out[i * columns + j] +=
                        x[ta ? k * rows + i : i * inner + k] * y[tb ? j * inner + k : k * columns + j];
    }
}

/* An anchor's epilogue, over its result and the inputs beyond its own. */
static void evaluate_epilogue(evaluation *e, const kpar_op *op)
{
    const kpar_shape *shape = &e->graph->values[op->outputs[0]].shape;
    const int own = kpar_op_row_get((kpar_op_kind)op->kind)->n_inputs;
    double inputs[64], *out = e->values[op->outputs[0]];
    for (int64_t i = 0; i < count_of(e, op->outputs[0]); i++) {
        inputs[0] = out[i];
        for (int k = own; k < op->n_inputs; k++) {
            const kpar_shape *from = &e->graph->values[op->inputs[k]].shape;
            inputs[1 + k - own] = e->values[op->inputs[k]][broadcast_index(e, shape, from, i)];
        }
        kpar_expression_evaluate(op->attributes.expression, inputs, &out[i]);
    }
}

/* The element of the input that an element of the output of transpose, slice or pad is; -1: none, a zero. */
static int64_t moved_from(const evaluation *e, const kpar_op *op, int64_t index)
{
    const kpar_shape *from = &e->graph->values[op->inputs[0]].shape;
    const kpar_shape *to = &e->graph->values[op->outputs[0]].shape;
    int64_t at[KPAR_MAX_RANK], result = 0;
    for (int d = to->rank; d-- > 0;) {
        const int own = op->kind == KPAR_OP_TRANSPOSE ? op->attributes.permutation[d] : d;
        at[own] = index % size_of(e, to, d);
        index /= size_of(e, to, d);
    }
    for (int d = 0; d < from->rank; d++) {
        if (op->kind == KPAR_OP_SLICE) at[d] += op->attributes.start[d];
        if (op->kind == KPAR_OP_PAD) at[d] -= op->attributes.start[d];
        if (at[d] < 0 || at[d] >= size_of(e, from, d)) return -1;
        result = result * size_of(e, from, d) + at[d];
    }
    return result;
}

static void evaluate_move(evaluation *e, const kpar_op *op)
{
    for (int64_t i = 0; i < count_of(e, op->outputs[0]); i++) {
        const int64_t from = moved_from(e, op, i);
        e->values[op->outputs[0]][i] = from < 0 ? 0 : e->values[op->inputs[0]][from];
    }
}

/* gather: row i of the output is row indices[i] of the table; scatter_add: it is added there. */
static void evaluate_rows_by_index(evaluation *e, const kpar_op *op)
{
    const bool scatters = op->kind == KPAR_OP_SCATTER_ADD;
    const int64_t n = count_of(e, op->inputs[1]);
    const kpar_value_id rows = scatters ? op->inputs[0] : op->outputs[0];
    const int64_t row = count_of(e, rows) / n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < row; k++) {
            const int64_t there = (int64_t)e->values[op->inputs[1]][i] * row + k, here = i * row + k;
            double *out = e->values[op->outputs[0]];
            if (scatters)
                out[there] += e->values[op->inputs[0]][here];
            else
                out[here] = e->values[op->inputs[0]][there];
        }
}

static void evaluate_concat(evaluation *e, const kpar_op *op)
{
    int64_t before = 0, total, outer, size, inner;
    around(e, &e->graph->values[op->outputs[0]].shape, op->attributes.axis, &outer, &total, &inner);
    for (int k = 0; k < op->n_inputs; k++) {
        around(e, &e->graph->values[op->inputs[k]].shape, op->attributes.axis, &outer, &size, &inner);
        for (int64_t o = 0; o < outer; o++)
            memcpy(e->values[op->outputs[0]] + (o * total + before) * inner,
                   e->values[op->inputs[k]] + o * size * inner, (size_t)(size * inner) * sizeof(double));
        before += size;
    }
}

/* Softmax of one row; returns log(sum(exp(x))). */
static double softmax_row(const double *x, int64_t n, double *y)
{
    double largest = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) largest = fmax(largest, x[i]);
    for (int64_t i = 0; i < n; i++) sum += exp(x[i] - largest);
    for (int64_t i = 0; i < n; i++) y[i] = exp(x[i] - largest) / sum;
    return largest + log(sum);
}

static void evaluate_softmax(evaluation *e, const kpar_op *op)
{
    int64_t outer, n, inner;
    const kpar_shape *shape = &e->graph->values[op->inputs[0]].shape;
    around(e, shape, shape->rank - 1, &outer, &n, &inner);
    double *out = e->values[op->outputs[0]], *p = calloc((size_t)n, sizeof *p);
    for (int64_t o = 0; o < outer; o++) {
        const double *x = e->values[op->inputs[0]] + o * n;
        if (op->kind == KPAR_OP_SOFTMAX)
            softmax_row(x, n, out + o * n);
        else if (op->kind == KPAR_OP_SOFTMAX_GRADIENT) {
            const double *dy = e->values[op->inputs[1]] + o * n;
            double dot = 0;
            for (int64_t i = 0; i < n; i++) dot += x[i] * dy[i];
            for (int64_t i = 0; i < n; i++) out[o * n + i] = x[i] * (dy[i] - dot);
        } else {
            const double *labels = e->values[op->inputs[1]], log_sum = softmax_row(x, n, p);
            double total = 0;
            for (int64_t i = 0; i < n; i++) {
                double label = op->attributes.sparse ? (double)i == labels[o] : labels[o * n + i];
                if (op->kind == KPAR_OP_CROSS_ENTROPY) out[o] += label * (log_sum - x[i]);
                total += label;
            }
            for (int64_t i = 0; op->kind == KPAR_OP_CROSS_ENTROPY_GRADIENT && i < n; i++) {
                double label = op->attributes.sparse ? (double)i == labels[o] : labels[o * n + i];
                out[o * n + i] = e->values[op->inputs[2]][o] * (total * p[i] - label);
            }
        }
    }
    free(p);
}

/* Calls `what` for each cell that each window of images of shape `x` has, of `cells` by dimension. */
typedef void (*window_cell)(evaluation *e, const kpar_op *op, int64_t window, int64_t cell, int64_t pixel);
static void each_cell(evaluation *e, const kpar_op *op, const kpar_shape *x, const int64_t *cells,
                      window_cell what)
{
    const kpar_attributes *a = &op->attributes;
    int64_t windows = size_of(e, x, 0), all = 1, positions[KPAR_MAX_RANK];
    for (int d = 1; d < x->rank - 1; d++) {
        positions[d] = kpar_window_positions(a, d, x->dims[d].size, cells[d]);
        windows *= positions[d];
        all *= cells[d];
    }
    for (int64_t w = 0; w < windows; w++)
        for (int64_t cell = 0; cell < all; cell++) {
            int64_t position = w, at = cell, pixel = 0, stride = 1;
            bool inside = true;
            for (int d = x->rank - 2; d > 0; d--) {
                const int64_t step = a->stride[d] ? a->stride[d] : 1,
                              apart = a->dilation[d] ? a->dilation[d] : 1,
                              place = position % positions[d] * step + at % cells[d] * apart - a->start[d];
                inside = inside && place >= 0 && place < x->dims[d].size;
                pixel += place * stride;
                stride *= x->dims[d].size;
                position /= positions[d];
                at /= cells[d];
            }
            if (inside) what(e, op, w, cell, position * stride + pixel);
        }
}

/* One cell of a convolution: image, kernel and result by the op's kind. */
static void convolve_cell(evaluation *e, const kpar_op *op, int64_t window, int64_t cell, int64_t pixel)
{
    const kpar_value_id x = op->kind == KPAR_OP_CONV_INPUT_GRADIENT ? op->outputs[0] : op->inputs[0],
                        kernel = op->kind == KPAR_OP_CONV_KERNEL_GRADIENT ? op->outputs[0] : op->inputs[1],
                        y = op->kind == KPAR_OP_CONV                  ? op->outputs[0]
                            : op->kind == KPAR_OP_CONV_INPUT_GRADIENT ? op->inputs[0]
                                                                      : op->inputs[1];
    const kpar_shape *k = &e->graph->values[kernel].shape, *s = &e->graph->values[x].shape;
    const int64_t channels = s->dims[s->rank - 1].size, in = k->dims[k->rank - 2].size,
                  out = k->dims[k->rank - 1].size, groups = channels / in;
    for (int64_t o = 0; o < out; o++)
        for (int64_t i = 0; i < in; i++) {
            double *image = &e->values[x][pixel * channels + o / (out / groups) * in + i],
                   *weight = &e->values[kernel][(cell * in + i) * out + o],
                   *result = &e->values[y][window * out + o];
            if (op->kind == KPAR_OP_CONV) *result += *image * *weight;
            if (op->kind == KPAR_OP_CONV_INPUT_GRADIENT) *image += *result * *weight;
            if (op->kind == KPAR_OP_CONV_KERNEL_GRADIENT) *weight += *image * *result;
        }
}

static void evaluate_conv(evaluation *e, const kpar_op *op)
{
    const kpar_value *v = e->graph->values;
    const kpar_shape *x = op->kind == KPAR_OP_CONV_INPUT_GRADIENT ? &v[op->outputs[0]].shape
                                                                  : &v[op->inputs[0]].shape,
                     *kernel = op->kind == KPAR_OP_CONV_KERNEL_GRADIENT ? &v[op->outputs[0]].shape
                                                                        : &v[op->inputs[1]].shape;
    int64_t cells[KPAR_MAX_RANK];
    for (int d = 1; d < x->rank - 1; d++) cells[d] = kernel->dims[d - 1].size;
    each_cell(e, op, x, cells, convolve_cell);
}

/* The pixel of the maximum of a window, or the number of its cells, is found first and used then. */
typedef struct pooled {
    double *maximum, *cells;
    int64_t *first;
    int64_t channels;
} pooled;
static pooled pooling;

static void look_at_cell(evaluation *e, const kpar_op *op, int64_t window, int64_t cell, int64_t pixel)
{
    (void)cell;
    for (int64_t c = 0; c < pooling.channels; c++) {
        const int64_t at = window * pooling.channels + c, from = pixel * pooling.channels + c;
        pooling.cells[at]++;
        if (op->attributes.reduction != KPAR_REDUCE_MAX) continue;
        const double x = e->values[op->inputs[0]][from];
        if (pooling.cells[at] > 1 && x <= pooling.maximum[at]) continue;
        pooling.maximum[at] = x;
        pooling.first[at] = from;
    }
}

static void add_cell(evaluation *e, const kpar_op *op, int64_t window, int64_t cell, int64_t pixel)
{
    (void)cell;
    const double *in = e->values[op->inputs[op->n_inputs - 1]];
    double *out = e->values[op->outputs[0]];
    for (int64_t c = 0; c < pooling.channels; c++) {
        const int64_t at = window * pooling.channels + c, from = pixel * pooling.channels + c;
        if (op->kind == KPAR_OP_MEAN_POOL_GRADIENT)
            out[from] += in[at] / pooling.cells[at];
        else if (op->kind == KPAR_OP_MAX_POOL_GRADIENT)
            out[from] += pooling.first[at] == from ? in[at] : 0;
        else if (op->attributes.reduction == KPAR_REDUCE_MAX)
            out[at] = pooling.maximum[at];
        else
            out[at] += in[from] / pooling.cells[at];
    }
}

static void evaluate_pool(evaluation *e, const kpar_op *op)
{
    const kpar_value_id images = op->kind == KPAR_OP_MEAN_POOL_GRADIENT ? op->outputs[0] : op->inputs[0],
                        results = op->kind == KPAR_OP_POOL ? op->outputs[0] : op->inputs[op->n_inputs - 1];
    const kpar_shape *x = &e->graph->values[images].shape;
    const size_t n = (size_t)count_of(e, results) + 1;
    int64_t cells[KPAR_MAX_RANK];
    for (int d = 1; d < x->rank - 1; d++) cells[d] = op->attributes.window[d] ? op->attributes.window[d] : 1;
    pooling = (pooled){calloc(n, sizeof(double)), calloc(n, sizeof(double)), calloc(n, sizeof(int64_t)),
                       x->dims[x->rank - 1].size};
    each_cell(e, op, x, cells, look_at_cell);
    each_cell(e, op, x, cells, add_cell);
    free(pooling.maximum);
    free(pooling.cells);
    free(pooling.first);
}

static void evaluate_op(evaluation *e, const kpar_op *op)
{
    double *out = e->values[op->outputs[0]];
    switch (op->kind) {
    case KPAR_OP_MAP:
        evaluate_map(e, op);
        break;
    case KPAR_OP_REDUCE:
        evaluate_reduce(e, op);
        break;
    case KPAR_OP_MAP_REDUCE:
        evaluate_map_reduce(e, op);
        break;
    case KPAR_OP_CUMULATIVE:
        evaluate_cumulative(e, op);
        break;
    case KPAR_OP_ARG_REDUCE:
        evaluate_arg_max(e, op);
        break;
    case KPAR_OP_MATMUL:
        evaluate_matmul(e, op);
        if (op->attributes.expression) evaluate_epilogue(e, op);
        break;
    case KPAR_OP_CONV:
        evaluate_conv(e, op);
        if (op->attributes.expression) evaluate_epilogue(e, op);
        break;
    case KPAR_OP_CONV_INPUT_GRADIENT:
    case KPAR_OP_CONV_KERNEL_GRADIENT:
        evaluate_conv(e, op);
        break;
    case KPAR_OP_POOL:
    case KPAR_OP_MAX_POOL_GRADIENT:
    case KPAR_OP_MEAN_POOL_GRADIENT:
        evaluate_pool(e, op);
        break;
    case KPAR_OP_TRANSPOSE:
    case KPAR_OP_SLICE:
    case KPAR_OP_PAD:
        evaluate_move(e, op);
        break;
    case KPAR_OP_GATHER:
    case KPAR_OP_SCATTER_ADD:
        evaluate_rows_by_index(e, op);
        break;
    case KPAR_OP_CONCAT:
        evaluate_concat(e, op);
        break;
    case KPAR_OP_SOFTMAX:
    case KPAR_OP_SOFTMAX_GRADIENT:
    case KPAR_OP_CROSS_ENTROPY:
    case KPAR_OP_CROSS_ENTROPY_GRADIENT:
        evaluate_softmax(e, op);
        break;
    case KPAR_OP_CONSTANT:
        for (int64_t i = 0; i < count_of(e, op->outputs[0]); i++) out[i] = op->attributes.value;
        break;
    case KPAR_OP_IOTA: {
        const kpar_value *v = &e->graph->values[op->outputs[0]];
        int64_t after = 1; /* elements that share a number */
        for (int i = op->attributes.axis + 1; i < v->shape.rank; i++) after *= v->shape.dims[i].size;
        for (int64_t i = 0; i < count_of(e, op->outputs[0]); i++)
            out[i] = (double)(i / after % v->shape.dims[op->attributes.axis].size);
        break;
    }
    case KPAR_OP_RANDOM: /* other numbers than a device's, as many and as even */
        for (int64_t i = 0; i < count_of(e, op->outputs[0]); i++)
            out[i] = kpar_unit_from_word(kpar_philox_word(op->attributes.key, 0, (uint64_t)i));
        break;
    case KPAR_OP_RESHAPE:
    case KPAR_OP_COMPUTE_COPY:
    case KPAR_OP_ACCUMULATE:
        memcpy(out, e->values[op->inputs[0]], (size_t)count_of(e, op->outputs[0]) * sizeof *out);
        break;
    default:
        ck_abort_msg("op %s is not expected in this graph", kpar_op_row_get((kpar_op_kind)op->kind)->name);
    }
}

/* Computes every value. */
static void evaluate(evaluation *e)
{
    const kpar_graph *g = e->graph;
    e->values = calloc(g->n_values + 1, sizeof *e->values);
    for (size_t i = 0; i < g->n_values; i++) {
        int64_t count = count_of(e, (kpar_value_id)i);
        e->values[i] = calloc((size_t)count + 1, sizeof(double));
        if (g->values[i].op < 0) e->source(e->context, &g->values[i], e->values[i], count);
    }
    for (size_t i = 0; i < g->n_ops; i++) evaluate_op(e, &g->ops[i]);
}

static inline void evaluation_free(evaluation *e)
{
    for (size_t i = 0; i < e->graph->n_values; i++) free(e->values[i]);
    free(e->values);
}

#endif
