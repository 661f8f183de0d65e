/* Sums whose terms are alike are one op: see sum.h. */
#include "graph/sum.h"

#include <stdlib.h>
#include <string.h>

static const kpar_op *maker(const kpar_graph *g, kpar_value_id value)
{
    return g->values[value].op < 0 ? NULL : &g->ops[g->values[value].op];
}

static bool same_layer(const kpar_op *a, const kpar_op *b) { return strcmp(a->layer, b->layer) == 0; }

static bool same_shape(const kpar_graph *g, kpar_value_id a, kpar_value_id b)
{
    return kpar_shape_equal(&g->values[a].shape, &g->values[b].shape);
}

static bool has_rows(const kpar_graph *g, kpar_value_id value)
{
    const kpar_shape *shape = &g->values[value].shape;
    return shape->rank == 2 && shape->dims[0].batch;
}

/* a^T b, over rows of a batch. */
static bool is_product(const kpar_graph *g, const kpar_op *op)
{
    return op->kind == KPAR_OP_MATMUL && op->attributes.transpose_a && !op->attributes.transpose_b &&
           has_rows(g, op->inputs[0]) && has_rows(g, op->inputs[1]);
}

/* The sum over rows of a batch. */
static bool is_row_sum(const kpar_graph *g, const kpar_op *op)
{
    return op->kind == KPAR_OP_REDUCE && op->attributes.reduction == KPAR_REDUCE_SUM &&
           op->attributes.axes == 1 && has_rows(g, op->inputs[0]);
}

/* The one dimension that a padding is along, or -1. */
static int padded_dim(const kpar_graph *g, const kpar_op *op)
{
    int dim = -1;
    if (op->kind != KPAR_OP_PAD) return -1;
    for (int i = 0; i < g->values[op->inputs[0]].shape.rank; i++)
        if (op->attributes.start[i] || op->attributes.stop[i]) {
            if (dim >= 0) return -1;
            dim = i;
        }
    return dim;
}

/* Whether a term is of the kind of the first, which may be joined with others. */
static bool alike(const kpar_graph *g, kpar_value_id first, kpar_value_id second)
{
    const kpar_op *a = maker(g, first), *b = maker(g, second);
    if (!b || a->kind != b->kind || a->phase != b->phase || !same_layer(a, b)) return false;
    if (padded_dim(g, a) >= 0) return padded_dim(g, a) == padded_dim(g, b);
    for (int i = 0; i < a->n_inputs; i++)
        if (i >= b->n_inputs || !same_shape(g, a->inputs[i], b->inputs[i])) return false;
    return is_product(g, a) ? is_product(g, b) : is_row_sum(g, b);
}

/* Inputs number `input` of the terms, (rows, columns) each, side by side as (rows, terms, columns). The last term is of the
 * step that came first. */
static kpar_status stacked(kpar_graph *g, const kpar_value_id *terms, int n, int input, kpar_value_id *out)
{
    kpar_value_id *parts = kpar_arena_alloc(g->arena, (size_t)n * sizeof *parts);
    const kpar_shape from = g->values[maker(g, terms[0])->inputs[input]].shape;
    const kpar_shape shape = {.rank = 3, .dims = {from.dims[0], {1, false}, from.dims[1]}};
    for (int i = 0; i < n; i++)
        KPAR_TRY(kpar_build_reshape(g, shape, maker(g, terms[n - 1 - i])->inputs[input], &parts[i]));
    return kpar_build_concat(g, 1, parts, n, out);
}

static kpar_status join_products(kpar_graph *g, const kpar_value_id *terms, int n, kpar_value_id *sum)
{
    kpar_value_id sides[2];
    for (int i = 0; i < 2; i++) {
        KPAR_TRY(stacked(g, terms, n, i, &sides[i]));
        const kpar_shape s = g->values[sides[i]].shape;
        const kpar_shape rows = {.rank = 2, .dims = {{s.dims[0].size * n, true}, s.dims[2]}};
        KPAR_TRY(kpar_build_reshape(g, rows, sides[i], &sides[i]));
    }
    return kpar_build_matmul(g, sides[0], true, sides[1], false, sum);
}

static kpar_status join_row_sums(kpar_graph *g, const kpar_value_id *terms, int n, kpar_value_id *sum)
{
    KPAR_TRY(stacked(g, terms, n, 0, sum));
    return kpar_build_reduce(g, KPAR_REDUCE_SUM, 3, *sum, sum);
}

/* A padded part: elements [first, end) of the dimension. */
typedef struct part {
    int64_t first, end;
    kpar_value_id value;
} part;

static int by_first(const void *a, const void *b)
{
    const int64_t x = ((const part *)a)->first, y = ((const part *)b)->first;
    return (x > y) - (x < y);
}

/* Zeros before `end` where there are none yet. */
static kpar_status fill_up(kpar_graph *g, kpar_shape shape, int dim, int64_t at, int64_t end,
                           kpar_value_id *values, int *n)
{
    if (at == end) return KPAR_OK;
    shape.dims[dim].size = end - at;
    return kpar_build_constant(g, 0, shape, &values[(*n)++]);
}

/* *sum is -1 where parts overlap. */
static kpar_status join_paddings(kpar_graph *g, const kpar_value_id *terms, int n, kpar_value_id *sum)
{
    const kpar_shape shape = g->values[terms[0]].shape;
    const int dim = padded_dim(g, maker(g, terms[0]));
    part *parts = kpar_arena_alloc(g->arena, (size_t)n * sizeof *parts);
    kpar_value_id *values = kpar_arena_alloc(g->arena, (2 * (size_t)n + 1) * sizeof *values);
    int count = 0;
    int64_t at = 0;
    for (int i = 0; i < n; i++) {
        const kpar_op *op = maker(g, terms[i]);
        parts[i] =
            (part){op->attributes.start[dim], shape.dims[dim].size - op->attributes.stop[dim], op->inputs[0]};
    }
    qsort(parts, (size_t)n, sizeof *parts, by_first);
    *sum = -1;
    for (int i = 1; i < n; i++)
        if (parts[i].first < parts[i - 1].end) return KPAR_OK;
    for (int i = 0; i < n; at = parts[i++].end) {
        KPAR_TRY(fill_up(g, shape, dim, at, parts[i].first, values, &count));
        values[count++] = parts[i].value;
    }
    KPAR_TRY(fill_up(g, shape, dim, at, shape.dims[dim].size, values, &count));
    return kpar_build_concat(g, dim, values, count, sum);
}

/* The sum of alike terms as one op; -1: they are not to be joined. */
static kpar_status join(kpar_graph *g, const kpar_value_id *terms, int n, kpar_value_id *sum)
{
    const kpar_op *op = maker(g, terms[0]);
    *sum = -1;
    if (n < 2) return KPAR_OK;
    g->layer = op->layer;
    g->forward = op->forward;
    if (padded_dim(g, op) >= 0) return join_paddings(g, terms, n, sum);
    return is_product(g, op) ? join_products(g, terms, n, sum) : join_row_sums(g, terms, n, sum);
}

static bool may_be_joined(const kpar_graph *g, kpar_value_id term)
{
    const kpar_op *op = maker(g, term);
    return op && (padded_dim(g, op) >= 0 || is_product(g, op) || is_row_sum(g, op));
}

/* Moves the terms that are like terms[0] to the front and returns how many there are. */
static int gather_alike(const kpar_graph *g, kpar_value_id *terms, int n)
{
    int count = 1, rest = 0;
    if (n == 1 || !may_be_joined(g, terms[0])) return 1;
    kpar_value_id *others = kpar_alloc((size_t)n * sizeof *others);
    for (int i = 1; i < n; i++)
        if (alike(g, terms[0], terms[i]))
            terms[count++] = terms[i];
        else
            others[rest++] = terms[i];
    memcpy(terms + count, others, (size_t)rest * sizeof *others);
    kpar_free(others);
    return count;
}

kpar_status kpar_build_sum(kpar_graph *g, kpar_value_id *terms, int n, kpar_value_id *sum)
{
    const char *layer = g->layer;
    const kpar_op_id forward = g->forward;
    *sum = -1;
    for (int done = 0; done < n;) {
        const int count = gather_alike(g, terms + done, n - done);
        kpar_value_id joined;
        KPAR_TRY(join(g, terms + done, count, &joined));
        const int taken = joined >= 0 ? count : 1;
        if (joined < 0) joined = terms[done];
        if (*sum >= 0) KPAR_TRY(kpar_build_binary(g, KPAR_SCALAR_ADD, *sum, joined, &joined));
        *sum = joined;
        done += taken;
    }
    g->layer = layer;
    g->forward = forward;
    return KPAR_OK;
}
