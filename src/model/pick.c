/* Elements of a dimension by their numbers, and dimensions that come, go and move. */
#include "model/operations.h"

kpar_status kpar_lower_cut(kpar_lowering *lowering, int dim, int64_t start, int64_t stop, kpar_value_id x,
                           kpar_value_id *out)
{
    int64_t first[KPAR_MAX_RANK] = {0}, end[KPAR_MAX_RANK];
    *out = x;
    if (start == 0 && stop == kpar_lower_shape(lowering, x)->dims[dim].size) return KPAR_OK;
    for (int i = 0; i < KPAR_MAX_RANK; i++) end[i] = KPAR_TO_END;
    first[dim] = start;
    end[dim] = stop;
    return kpar_build_slice(lowering->graph, first, end, x, out);
}

kpar_status kpar_lower_insert(kpar_lowering *lowering, int dim, kpar_value_id x, kpar_value_id *out)
{
    const kpar_shape *from = kpar_lower_shape(lowering, x);
    kpar_shape shape = {.rank = from->rank + 1};
    if (shape.rank > KPAR_MAX_RANK)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: more than %d dimensions", lowering->owner, KPAR_MAX_RANK);
    for (int i = 0; i < shape.rank; i++)
        shape.dims[i] = i == dim ? (kpar_dim){1, false} : from->dims[i < dim ? i : i - 1];
    return kpar_build_reshape(lowering->graph, shape, x, out);
}

kpar_status kpar_lower_drop(kpar_lowering *lowering, int dim, kpar_value_id x, kpar_value_id *out)
{
    kpar_shape shape = *kpar_lower_shape(lowering, x);
    for (int i = dim; i + 1 < shape.rank; i++) shape.dims[i] = shape.dims[i + 1];
    shape.rank--;
    return kpar_build_reshape(lowering->graph, shape, x, out);
}

kpar_status kpar_lower_move(kpar_lowering *lowering, int from, int to, kpar_value_id x, kpar_value_id *out)
{
    int order[KPAR_MAX_RANK], n = 0;
    const int rank = kpar_lower_shape(lowering, x)->rank;
    *out = x;
    if (from == to) return KPAR_OK;
    for (int i = 0; i < rank; i++) {
        if (n == to) order[n++] = from;
        if (i != from) order[n++] = i;
    }
    if (n == to) order[n] = from;
    return kpar_build_transpose(lowering->graph, order, x, out);
}

kpar_status kpar_lower_one_hot(kpar_lowering *lowering, kpar_value_id numbers, int64_t n, kpar_value_id *out)
{
    kpar_graph *g = lowering->graph;
    const kpar_shape along = {.rank = 1, .dims = {{n, false}}};
    kpar_value_id terms[2];
    KPAR_TRY(kpar_lower_real(lowering, numbers, &terms[0]));
    KPAR_TRY(kpar_lower_insert(lowering, kpar_lower_shape(lowering, numbers)->rank, terms[0], &terms[0]));
    KPAR_TRY(kpar_build_iota(g, 0, g->real, along, &terms[1]));
    return kpar_build_binary(g, KPAR_SCALAR_EQUAL, terms[0], terms[1], out);
}

/* The dimension becomes the rows of a table, of which a gather picks. */
kpar_status kpar_lower_take(kpar_lowering *lowering, int dim, kpar_value_id x, kpar_value_id numbers,
                            kpar_value_id *out)
{
    const int rank = kpar_lower_shape(lowering, x)->rank, more = kpar_lower_shape(lowering, numbers)->rank;
    int order[KPAR_MAX_RANK], n = 0;
    const kpar_dtype given = kpar_graph_value(lowering->graph, numbers)->dtype;
    if (rank + more - 1 > KPAR_MAX_RANK)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: more than %d dimensions", lowering->owner, KPAR_MAX_RANK);
    KPAR_TRY(kpar_build_cast(lowering->graph, given == KPAR_I64 ? KPAR_I64 : KPAR_I32, numbers, &numbers));
    KPAR_TRY(kpar_lower_move(lowering, dim, 0, x, &x));
    KPAR_TRY(kpar_build_gather(lowering->graph, x, numbers, out));
    for (int i = 0; i < dim; i++) order[n++] = more + i;
    for (int i = 0; i < more; i++) order[n++] = i;
    for (int i = dim + 1; i < rank; i++) order[n++] = more + i - 1;
    return dim == 0 ? KPAR_OK : kpar_build_transpose(lowering->graph, order, *out, out);
}

/* Whether they follow each other. */
static bool is_run(const int64_t *numbers, int64_t n)
{
    for (int64_t i = 1; i < n; i++)
        if (numbers[i] != numbers[0] + i) return false;
    return true;
}

kpar_status kpar_lower_pick(kpar_lowering *lowering, int dim, const int64_t *numbers, int64_t n,
                            kpar_value_id x, kpar_value_id *out)
{
    kpar_value_id picked;
    if (n < 1)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: nothing is left of dimension %d", lowering->owner, dim);
    if (is_run(numbers, n)) return kpar_lower_cut(lowering, dim, numbers[0], numbers[0] + n, x, out);
    json_t *list = json_array();
    for (int64_t i = 0; i < n; i++) json_array_append_new(list, json_integer(numbers[i]));
    const kpar_status status = kpar_lower_array(lowering, list, &picked);
    json_decref(list);
    KPAR_TRY(status);
    return kpar_lower_take(lowering, dim, x, picked, out);
}
