/* Operations that put the elements of dimensions into another order, repeat them, leave some out or put others around. */
#include "model/operations.h"

#include <string.h>

static size_t entries(const json_t *argument)
{
    return json_is_array(argument) ? json_array_size(argument) : 1;
}

/* Numbers of elements, in the order in which they are picked. */
typedef int64_t (*numbering)(int64_t i, int64_t n, int64_t argument);
static kpar_status pick_by(kpar_lowering *lowering, int dim, numbering number, int64_t argument,
                           int64_t count, kpar_value_id *x)
{
    const int64_t n = kpar_lower_shape(lowering, *x)->dims[dim].size;
    int64_t *numbers = kpar_arena_alloc(lowering->arena, ((size_t)count + 1) * sizeof *numbers);
    for (int64_t i = 0; i < count; i++) numbers[i] = number(i, n, argument);
    return kpar_lower_pick(lowering, dim, numbers, count, *x, x);
}

static int64_t from_the_end(int64_t i, int64_t n, int64_t none)
{
    (void)none;
    return n - 1 - i;
}
static int64_t wrapped(int64_t i, int64_t n, int64_t before) { return ((i - before) % n + n) % n; }
static int64_t held(int64_t i, int64_t n, int64_t before)
{
    const int64_t at = i - before;
    return at < 0 ? 0 : at >= n ? n - 1 : at;
}
/* Back and forth between the first and the last, which come once; or twice, as if there were one more element between. */
static int64_t reflected(int64_t i, int64_t n, int64_t before)
{
    const int64_t period = n > 1 ? 2 * (n - 1) : 1, at = wrapped(i, period, before);
    return at < n ? at : period - at;
}
static int64_t mirrored(int64_t i, int64_t n, int64_t before)
{
    const int64_t at = wrapped(i, 2 * n, before);
    return at < n ? at : 2 * n - 1 - at;
}

/* --- order --- */

kpar_status kpar_lower_flip(kpar_lowering *lowering, int dim, kpar_value_id *x)
{
    return pick_by(lowering, dim, from_the_end, 0, kpar_lower_shape(lowering, *x)->dims[dim].size, x);
}

static KPAR_OPERATION(flip)
{
    const json_t *axis = json_object_get(lowering->layer->config, "axis");
    int dim;
    (void)n_inputs;
    KPAR_TRY(kpar_operand_given(lowering, inputs, 0, output));
    for (size_t i = 0; i < entries(axis); i++) { /* null stands for the batch too */
        KPAR_TRY(kpar_lower_dim(lowering, kpar_operation_entry(axis, i),
                                kpar_lower_shape(lowering, *output)->rank, &dim));
        KPAR_TRY(kpar_lower_flip(lowering, dim, output));
    }
    return KPAR_OK;
}

static KPAR_OPERATION(flip_columns)
{
    (void)n_inputs;
    KPAR_TRY(kpar_operand_given(lowering, inputs, 0, output));
    return kpar_lower_flip(lowering, 1, output);
}

static KPAR_OPERATION(roll)
{
    const json_t *shift = json_object_get(lowering->layer->config, "shift"),
                 *axis = json_object_get(lowering->layer->config, "axis");
    int dim;
    (void)n_inputs;
    KPAR_TRY(kpar_operand_given(lowering, inputs, 0, output));
    for (size_t i = 0; i < entries(axis); i++) {
        KPAR_TRY(kpar_lower_dim(lowering, kpar_operation_entry(axis, i),
                                kpar_lower_shape(lowering, *output)->rank, &dim));
        KPAR_TRY(pick_by(lowering, dim, wrapped, kpar_operation_entry(shift, i),
                         kpar_lower_shape(lowering, *output)->dims[dim].size, output));
    }
    return KPAR_OK;
}

/* Quarter turns from the first of two dimensions towards the second. */
static KPAR_OPERATION(rotate)
{
    const json_t *axes = json_object_get(lowering->layer->config, "axes");
    int64_t k;
    int dims[2], order[KPAR_MAX_RANK];
    (void)n_inputs;
    KPAR_TRY(kpar_operand_given(lowering, inputs, 0, output));
    const int rank = kpar_lower_shape(lowering, *output)->rank;
    KPAR_TRY(kpar_config_integer(lowering->owner, lowering->layer->config, "k", 1, &k));
    for (size_t i = 0; i < 2; i++)
        KPAR_TRY(kpar_lower_dim(lowering, kpar_operation_entry(axes, i), rank, &dims[i]));
    for (int i = 0; i < rank; i++) order[i] = i == dims[0] ? dims[1] : i == dims[1] ? dims[0] : i;
    k = (k % 4 + 4) % 4;
    if (k == 1 || k == 2) KPAR_TRY(kpar_lower_flip(lowering, dims[1], output));
    if (k == 2) return kpar_lower_flip(lowering, dims[0], output);
    if (k != 0) KPAR_TRY(kpar_build_transpose(lowering->graph, order, *output, output));
    return k == 3 ? kpar_lower_flip(lowering, dims[1], output) : KPAR_OK;
}

/* --- repeated --- */

/* Each element as often as its entry says. */
static kpar_status repeat_each(kpar_lowering *lowering, int dim, const json_t *repeats, kpar_value_id *x)
{
    const int64_t size = kpar_lower_shape(lowering, *x)->dims[dim].size;
    int64_t n = 0, *numbers;
    if (json_array_size(repeats) != (size_t)size)
        return kpar_fail(KPAR_EFORMAT, "%s: argument 'repeats': expected a number for each of %lld elements",
                         lowering->owner, (long long)size);
    for (size_t i = 0; i < (size_t)size; i++)
        n += kpar_operation_entry(repeats, i) > 0 ? kpar_operation_entry(repeats, i) : 0;
    numbers = kpar_arena_alloc(lowering->arena, ((size_t)n + 1) * sizeof *numbers);
    n = 0;
    for (int64_t i = 0; i < size; i++)
        for (int64_t k = 0; k < kpar_operation_entry(repeats, (size_t)i); k++) numbers[n++] = i;
    return kpar_lower_pick(lowering, dim, numbers, n, *x, x);
}

static KPAR_OPERATION(repeat)
{
    const json_t *repeats = kpar_operand_array(json_object_get(lowering->layer->config, "repeats"));
    int dim;
    (void)n_inputs;
    KPAR_TRY(kpar_operand_given(lowering, inputs, 0, output));
    KPAR_TRY(kpar_operation_axis(lowering, "axis", 0, kpar_lower_shape(lowering, *output)->rank, &dim));
    if (entries(repeats) > 1) return repeat_each(lowering, dim, repeats, output);
    if (kpar_operation_entry(repeats, 0) < 1)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: argument 'repeats': expected positive numbers",
                         lowering->owner);
    return kpar_lower_repeat(lowering, dim, kpar_operation_entry(repeats, 0), false, *output, output);
}

static KPAR_OPERATION(tile)
{
    const json_t *repeats = json_object_get(lowering->layer->config, "repeats");
    const int n = (int)entries(repeats);
    (void)n_inputs;
    KPAR_TRY(kpar_operand_given(lowering, inputs, 0, output));
    const int rank = kpar_lower_shape(lowering, *output)->rank;
    if (n > rank || (n == rank && kpar_operation_entry(repeats, 0) != 1))
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: argument 'repeats': supported are the dimensions after the batch",
                         lowering->owner);
    for (int i = 0; i < n; i++) {
        const int64_t times = kpar_operation_entry(repeats, (size_t)i);
        if (times < 1)
            return kpar_fail(KPAR_EUNSUPPORTED, "%s: argument 'repeats': expected positive numbers",
                             lowering->owner);
        if (times > 1) KPAR_TRY(kpar_lower_repeat(lowering, rank - n + i, times, true, *output, output));
    }
    return KPAR_OK;
}

/* --- put around --- */

/* Elements before and after dimension `dim`; of one entry for all dimensions the batch's would be among them. */
static kpar_status read_margins(const kpar_lowering *lowering, int rank, int64_t *before, int64_t *after)
{
    const json_t *widths = json_object_get(lowering->layer->config, "pad_width");
    bool right = (int)json_array_size(widths) == rank;
    for (int i = 0; right && i < rank; i++) {
        before[i] = kpar_operation_entry(json_array_get(widths, (size_t)i), 0);
        after[i] = kpar_operation_entry(json_array_get(widths, (size_t)i), 1);
        right = before[i] >= 0 && after[i] >= 0 && (i > 0 || before[i] + after[i] == 0);
    }
    if (right) return KPAR_OK;
    return kpar_fail(
        KPAR_EUNSUPPORTED,
        "%s: argument 'pad_width': expected two numbers for each of %d dimensions, zeros for the batch",
        lowering->owner, rank);
}

/* Zeros around x; another value is added to them. */
kpar_status kpar_lower_pad(kpar_lowering *lowering, const int64_t *before, const int64_t *after, double value,
                           kpar_value_id *x)
{
    kpar_graph *g = lowering->graph;
    kpar_value_id terms[2];
    kpar_shape inside = *kpar_lower_shape(lowering, *x);
    inside.dims[0] = (kpar_dim){1, false};
    KPAR_TRY(kpar_build_pad(g, before, after, *x, x));
    if (value == 0) return KPAR_OK;
    KPAR_TRY(kpar_build_constant(g, 1, inside, &terms[1]));
    KPAR_TRY(kpar_build_pad(g, before, after, terms[1], &terms[1]));
    terms[0] = *x;
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x y = kpar_x_select(e, kpar_x_input(e, 1), kpar_x_input(e, 0), kpar_x_constant(e, value));
    return kpar_lower_apply(lowering, e, y, terms, 2, x);
}

static const struct {
    const char *name;
    numbering number;
} modes[] = {{"reflect", reflected}, {"symmetric", mirrored}, {"edge", held}, {"wrap", wrapped}};

static KPAR_OPERATION(pad)
{
    const json_t *value = json_object_get(lowering->model->calls[lowering->call].kwargs, "constant_values");
    const char *mode;
    int64_t before[KPAR_MAX_RANK] = {0}, after[KPAR_MAX_RANK] = {0};
    (void)n_inputs;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, output));
    const int rank = kpar_lower_shape(lowering, *output)->rank;
    KPAR_TRY(read_margins(lowering, rank, before, after));
    KPAR_TRY(kpar_config_string(lowering->owner, lowering->layer->config, "mode", "constant", &mode));
    if (strcmp(mode, "constant") == 0)
        return kpar_lower_pad(lowering, before, after, json_is_number(value) ? json_number_value(value) : 0,
                              output);
    for (size_t m = 0; m < sizeof modes / sizeof modes[0]; m++) {
        if (strcmp(mode, modes[m].name) != 0) continue;
        for (int i = 1; i < rank; i++)
            KPAR_TRY(pick_by(lowering, i, modes[m].number, before[i],
                             kpar_lower_shape(lowering, *output)->dims[i].size + before[i] + after[i],
                             output));
        return KPAR_OK;
    }
    return kpar_fail(KPAR_EUNSUPPORTED,
                     "%s: argument 'mode' is \"%s\"; supported: constant, reflect, symmetric, edge, wrap",
                     lowering->owner, mode);
}

/* --- triangles and diagonals --- */

/* The matrices of the last two dimensions where column - row is at most k, or at least; 0 elsewhere. */
static kpar_status triangle(kpar_lowering *lowering, const kpar_value_id *inputs, bool lower,
                            kpar_value_id *output)
{
    kpar_graph *g = lowering->graph;
    kpar_value_id terms[3];
    int64_t k;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, &terms[0]));
    KPAR_TRY(kpar_config_integer(lowering->owner, lowering->layer->config, "k", 0, &k));
    const kpar_shape shape = *kpar_lower_shape(lowering, terms[0]);
    if (shape.rank < 3)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: expected matrices, (batch, ..., rows, columns)",
                         lowering->owner);
    const kpar_shape rows = {.rank = 2, .dims = {shape.dims[shape.rank - 2], {1, false}}},
                     columns = {.rank = 1, .dims = {shape.dims[shape.rank - 1]}};
    KPAR_TRY(kpar_build_iota(g, 0, g->real, rows, &terms[1]));
    KPAR_TRY(kpar_build_iota(g, 0, g->real, columns, &terms[2]));
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x off = kpar_x_sub(e, kpar_x_input(e, 2), kpar_x_input(e, 1)), bound = kpar_x_constant(e, (double)k);
    kpar_x kept = lower ? kpar_x_le(e, off, bound) : kpar_x_le(e, bound, off);
    return kpar_lower_apply(lowering, e, kpar_x_select(e, kept, kpar_x_input(e, 0), kpar_x_constant(e, 0)),
                            terms, 3, output);
}

static KPAR_OPERATION(lower_triangle)
{
    (void)n_inputs;
    return triangle(lowering, inputs, true, output);
}

static KPAR_OPERATION(upper_triangle)
{
    (void)n_inputs;
    return triangle(lowering, inputs, false, output);
}

/* Of the matrices of two dimensions, which come last: elements whose column is the row + offset. */
static KPAR_OPERATION(diagonal)
{
    int64_t offset, *numbers, n = 0;
    int dims[2];
    kpar_value_id x;
    (void)n_inputs;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, &x));
    kpar_shape shape = *kpar_lower_shape(lowering, x);
    KPAR_TRY(kpar_config_integer(lowering->owner, lowering->layer->config, "offset", 0, &offset));
    KPAR_TRY(kpar_operation_axis(lowering, "axis1", 0, shape.rank, &dims[0]));
    KPAR_TRY(kpar_operation_axis(lowering, "axis2", 1, shape.rank, &dims[1]));
    KPAR_TRY(kpar_lower_move(lowering, dims[0], shape.rank - 1, x, &x));
    KPAR_TRY(kpar_lower_move(lowering, dims[1] - (dims[1] > dims[0]), shape.rank - 1, x, &x));
    shape = *kpar_lower_shape(lowering, x);
    const int64_t rows = shape.dims[shape.rank - 2].size, columns = shape.dims[shape.rank - 1].size;
    numbers = kpar_arena_alloc(lowering->arena, ((size_t)rows + 1) * sizeof *numbers);
    for (int64_t i = 0; i < rows; i++)
        if (i + offset >= 0 && i + offset < columns) numbers[n++] = i * columns + i + offset;
    shape.dims[--shape.rank - 1].size *= columns;
    KPAR_TRY(kpar_build_reshape(lowering->graph, shape, x, &x));
    return kpar_lower_pick(lowering, shape.rank - 1, numbers, n, x, output);
}

static KPAR_OPERATION(trace)
{
    KPAR_TRY(diagonal(lowering, inputs, n_inputs, output));
    return kpar_lower_sum_last(lowering, false, *output, output);
}

/* Each element less the one before, `n` times. */
static KPAR_OPERATION(differences)
{
    int64_t n;
    int dim;
    (void)n_inputs;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, output));
    KPAR_TRY(kpar_config_integer(lowering->owner, lowering->layer->config, "n", 1, &n));
    KPAR_TRY(kpar_operation_axis(lowering, "axis", -1, kpar_lower_shape(lowering, *output)->rank, &dim));
    for (int64_t k = 0; k < n; k++) {
        kpar_value_id ends[2];
        const int64_t size = kpar_lower_shape(lowering, *output)->dims[dim].size;
        for (int i = 0; i < 2; i++)
            KPAR_TRY(kpar_lower_cut(lowering, dim, 1 - i, size - i, *output, &ends[i]));
        KPAR_TRY(kpar_build_binary(lowering->graph, KPAR_SCALAR_SUBTRACT, ends[0], ends[1], output));
    }
    return KPAR_OK;
}

static const kpar_layer_row rows[] = {
    {"Flip", "dimensions from their end", "axis", "", .lower = flip},
    {"Fliplr", "dimension 1 from its end", "", "", .lower = flip_columns},
    {"Roll", "dimensions moved on, the end to the front", "shift axis", "", .lower = roll},
    {"Rot90", "turned by right angles", "k axes", "", .lower = rotate},
    {"Repeat", "each element of a dimension several times", "repeats axis", "", .lower = repeat},
    {"Tile", "dimensions several times", "repeats", "", .lower = tile},
    {"Pad", "elements around", "pad_width mode", "", .lower = pad, .call_arguments = "constant_values"},
    {"Tril", "matrices without what is above a diagonal", "k", "", .lower = lower_triangle},
    {"Triu", "matrices without what is below a diagonal", "k", "", .lower = upper_triangle},
    {"Diagonal", "diagonals of matrices", "offset axis1 axis2", "", .lower = diagonal},
    {"Trace", "sums of diagonals", "offset axis1 axis2", "", .lower = trace},
    {"Diff", "each element less the one before", "n axis", "", .lower = differences},
};

const kpar_operation_table kpar_operations_of_parts = KPAR_OPERATION_TABLE(rows);
