/* Small pieces that lowerings are made of: sources, conversions, sums, reports, table look-ups. */
#include "model/lower_internal.h"

#include <string.h>
#include <strings.h>

int64_t kpar_lower_elements(const kpar_shape *shape, int first)
{
    int64_t count = 1;
    for (int i = first; i < shape->rank; i++) count *= shape->dims[i].size;
    return count;
}

static const kpar_shape one_row_each = {.rank = 1, .dims = {{1, true}}};

kpar_value_id kpar_lower_labels(kpar_lowering *lowering, int output, const kpar_shape *prediction,
                                bool sparse)
{
    kpar_shape shape = *prediction;
    if (sparse) shape.rank--;
    return kpar_graph_source(lowering->graph, KPAR_FROM_LABEL, output,
                             sparse ? KPAR_I32 : lowering->graph->real, shape);
}

kpar_value_id kpar_lower_row_mask(kpar_lowering *lowering)
{
    return kpar_graph_source(lowering->graph, KPAR_FROM_ROW_MASK, 0, lowering->graph->real, one_row_each);
}

kpar_value_id kpar_lower_sample_weights(kpar_lowering *lowering, int output)
{
    return kpar_graph_source(lowering->graph, KPAR_FROM_SAMPLE_WEIGHT, output, lowering->graph->real,
                             lowering->weight_ranges[output].shape);
}

kpar_value_id kpar_lower_variable(kpar_lowering *lowering, int variable)
{
    const kpar_variable *v = &lowering->catalog->variables[variable];
    kpar_shape shape = {.rank = v->rank};
    for (int i = 0; i < v->rank; i++) shape.dims[i] = (kpar_dim){v->dims[i], false};
    kpar_dtype dtype = v->dtype == KPAR_I64 ? KPAR_I64 : lowering->graph->real;
    return kpar_graph_source(lowering->graph, KPAR_FROM_VARIABLE, variable, dtype, shape);
}

kpar_status kpar_lower_real(kpar_lowering *lowering, kpar_value_id value, kpar_value_id *real)
{
    return kpar_build_cast(lowering->graph, lowering->graph->real, value, real);
}

/* The batch, which is dimension 0, may be the one if `batch`. */
static kpar_status find_dim(const char *owner, int64_t axis, int rank, bool batch, int *dim)
{
    *dim = (int)(axis < 0 ? axis + rank : axis);
    if (*dim >= (batch ? 0 : 1) && *dim < rank) return KPAR_OK;
    return kpar_fail(KPAR_EUNSUPPORTED,
                     "%s: argument 'axis' is %lld; expected a dimension %sof a tensor of rank %d", owner,
                     (long long)axis, batch ? "" : "after the batch ", rank);
}

kpar_status kpar_lower_dim(const kpar_lowering *lowering, int64_t axis, int rank, int *dim)
{
    return find_dim(lowering->owner, axis, rank, false, dim);
}

kpar_status kpar_lower_axes(const kpar_lowering *lowering, int rank, unsigned *axes)
{
    return kpar_lower_axes_of(lowering, "axis", rank, axes);
}

kpar_status kpar_lower_axes_of(const kpar_lowering *lowering, const char *key, int rank, unsigned *axes)
{
    return kpar_axes_in(lowering->owner, lowering->layer->config, key, rank, axes);
}

kpar_status kpar_axis_in(const char *owner, const json_t *config, const char *key, int rank, int *dim)
{
    int64_t axis;
    KPAR_TRY(kpar_config_integer(owner, config, key, -1, &axis));
    return find_dim(owner, axis, rank, false, dim);
}

static kpar_status find_axes(const char *owner, const json_t *config, const char *key, int rank, bool batch,
                             unsigned *axes)
{
    const json_t *json = json_object_get(config, key);
    int64_t axis;
    int dim;
    *axes = 0;
    for (size_t i = 0; json_is_array(json) && i < json_array_size(json); i++) {
        KPAR_TRY(find_dim(owner, json_integer_value(json_array_get(json, i)), rank, batch, &dim));
        *axes |= 1u << dim;
    }
    if (*axes) return KPAR_OK;
    KPAR_TRY(kpar_config_integer(owner, config, key, -1, &axis));
    KPAR_TRY(find_dim(owner, axis, rank, batch, &dim));
    *axes = 1u << dim;
    return KPAR_OK;
}

kpar_status kpar_axes_in(const char *owner, const json_t *config, const char *key, int rank, unsigned *axes)
{
    return find_axes(owner, config, key, rank, false, axes);
}

kpar_status kpar_axes_with_batch(const char *owner, const json_t *config, const char *key, int rank,
                                 unsigned *axes)
{
    return find_axes(owner, config, key, rank, true, axes);
}

/* Sizes of nested lists, by the first of each; false: too deep. */
static bool list_dims(const json_t *list, kpar_variable *array)
{
    for (array->rank = 0; json_is_array(list); list = json_array_get(list, 0)) {
        if (array->rank == KPAR_MAX_RANK || json_array_size(list) == 0) return false;
        array->dims[array->rank++] = (int64_t)json_array_size(list);
    }
    return true;
}

/* Appends the numbers of nested lists; false: not of these dimensions. */
static bool list_numbers(const json_t *list, const kpar_variable *array, int depth, double **next)
{
    if (depth == array->rank) {
        *(*next)++ = json_is_true(list) ? 1 : json_number_value(list);
        return json_is_number(list) || json_is_boolean(list);
    }
    if ((int64_t)json_array_size(list) != array->dims[depth]) return false;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!list_numbers(json_array_get(list, i), array, depth + 1, next)) return false;
    return true;
}

kpar_value_id kpar_lower_numbers(kpar_lowering *lowering, int rank, const int64_t *dims, const double *values)
{
    kpar_variable array = {
        .path = kpar_arena_printf(lowering->arena, "constants/%s/%d", lowering->layer->name,
                                  lowering->layer_weights++),
        .layer = lowering->layer->name,
        .name = "constant",
        .kind = KPAR_VARIABLE_CONSTANT,
        .dtype = KPAR_F32,
        .rank = rank,
        .values = values,
        .layer_index = -1,
        .of = -1,
    };
    memcpy(array.dims, dims, (size_t)rank * sizeof *dims);
    return kpar_lower_variable(lowering, kpar_catalog_add(lowering->catalog, &array));
}

kpar_status kpar_lower_array(kpar_lowering *lowering, const json_t *list, kpar_value_id *value)
{
    kpar_variable array = {0};
    bool right = list_dims(list, &array);
    const size_t count = right ? (size_t)kpar_count(array.rank, array.dims) : 0;
    double *values = kpar_arena_alloc(lowering->arena, (count + 1) * sizeof *values), *next = values;
    right = right && list_numbers(list, &array, 0, &next);
    if (!right)
        return kpar_fail(KPAR_EFORMAT, "%s: expected an array as nested lists of numbers", lowering->owner);
    *value = kpar_lower_numbers(lowering, array.rank, array.dims, values);
    return KPAR_OK;
}

kpar_value_id kpar_lower_output(const kpar_lowering *lowering, kpar_tensor_ref tensor)
{
    return lowering->call_values[tensor.call * KPAR_CALL_OUTPUTS + tensor.tensor];
}

kpar_value_id kpar_lower_output_mask(const kpar_lowering *lowering, kpar_tensor_ref tensor)
{
    return lowering->call_masks[tensor.call * KPAR_CALL_OUTPUTS + tensor.tensor];
}

kpar_value_id kpar_lower_named(const kpar_lowering *lowering, const char *name, int number)
{
    for (int i = 0; i < lowering->n_named; i++)
        if (strcmp(lowering->named[i].name, name) == 0 && number-- == 0) return lowering->named[i].value;
    return -1;
}

kpar_status kpar_lower_prediction(kpar_lowering *lowering, int output, kpar_value_id *prediction)
{
    const int call = lowering->model->outputs[output].tensor.call;
    lowering->output = output;
    lowering->logits = lowering->call_logits[call];
    lowering->values_mask = -1;
    lowering->values_mask_moves = false;
    return kpar_lower_real(lowering, kpar_lower_output(lowering, lowering->model->outputs[output].tensor),
                           prediction);
}

void kpar_lower_pass_on(kpar_lowering *lowering, kpar_value_id input, kpar_value_id *output)
{
    const kpar_call *call = &lowering->model->calls[lowering->call];
    *output = input;
    lowering->call_logits[lowering->call] = lowering->call_logits[call->inputs[0].call];
}

kpar_status kpar_lower_apply(kpar_lowering *lowering, kpar_expression_builder *e, kpar_x result,
                             const kpar_value_id *inputs, int n_inputs, kpar_value_id *out)
{
    kpar_graph *g = lowering->graph;
    return kpar_build_map(g, kpar_expression_end(e, g->arena, &result, 1), inputs, n_inputs, out);
}

kpar_shape kpar_lower_kept(kpar_shape shape, unsigned axes)
{
    for (int i = 0; i < shape.rank; i++)
        if (axes >> i & 1) shape.dims[i] = (kpar_dim){1, false};
    return shape;
}

kpar_status kpar_lower_reduce(kpar_lowering *lowering, kpar_reduction kind, unsigned axes, bool keep,
                              kpar_value_id a, kpar_value_id *out)
{
    const kpar_shape kept = kpar_lower_kept(*kpar_lower_shape(lowering, a), axes);
    KPAR_TRY(kpar_build_reduce(lowering->graph, kind, axes, a, out));
    return keep ? kpar_build_reshape(lowering->graph, kept, *out, out) : KPAR_OK;
}

kpar_status kpar_lower_mean(kpar_lowering *lowering, unsigned axes, bool keep, kpar_value_id a,
                            kpar_value_id *out)
{
    const kpar_shape *shape = kpar_lower_shape(lowering, a);
    double count = 1;
    for (int i = 0; i < shape->rank; i++)
        if (axes >> i & 1) count *= (double)shape->dims[i].size;
    KPAR_TRY(kpar_lower_reduce(lowering, KPAR_REDUCE_SUM, axes, keep, a, out));
    return kpar_build_affine(lowering->graph, *out, 1 / count, 0, out);
}

static unsigned last_axis(const kpar_lowering *lowering, kpar_value_id a)
{
    return 1u << (kpar_lower_shape(lowering, a)->rank - 1);
}

kpar_status kpar_lower_sum_last(kpar_lowering *lowering, bool keep, kpar_value_id a, kpar_value_id *out)
{
    return kpar_lower_reduce(lowering, KPAR_REDUCE_SUM, last_axis(lowering, a), keep, a, out);
}

kpar_status kpar_lower_max_last(kpar_lowering *lowering, bool keep, kpar_value_id a, kpar_value_id *out)
{
    return kpar_lower_reduce(lowering, KPAR_REDUCE_MAX, last_axis(lowering, a), keep, a, out);
}

kpar_status kpar_lower_mean_last(kpar_lowering *lowering, kpar_value_id a, kpar_value_id *out)
{
    return kpar_lower_mean(lowering, last_axis(lowering, a), false, a, out);
}

kpar_status kpar_lower_log_sum(kpar_lowering *lowering, unsigned axes, bool keep, kpar_value_id x,
                               kpar_value_id *out)
{
    kpar_graph *g = lowering->graph;
    kpar_value_id terms[2];
    KPAR_TRY(kpar_lower_reduce(lowering, KPAR_REDUCE_MAX, axes, true, x, &terms[1]));
    KPAR_TRY(kpar_build_unary(g, KPAR_SCALAR_STOP, terms[1], &terms[1]));
    KPAR_TRY(kpar_build_binary(g, KPAR_SCALAR_SUBTRACT, x, terms[1], &terms[0]));
    KPAR_TRY(kpar_build_unary(g, KPAR_SCALAR_EXP, terms[0], &terms[0]));
    KPAR_TRY(kpar_lower_reduce(lowering, KPAR_REDUCE_SUM, axes, true, terms[0], &terms[0]));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x y = kpar_x_add(e, kpar_x_log(e, kpar_x_input(e, 0)), kpar_x_input(e, 1));
    KPAR_TRY(kpar_lower_apply(lowering, e, y, terms, 2, out));
    return keep ? KPAR_OK : kpar_lower_reduce(lowering, KPAR_REDUCE_SUM, axes, false, *out, out);
}

kpar_status kpar_lower_unit_length(kpar_lowering *lowering, unsigned axes, double least, kpar_value_id x,
                                   kpar_value_id *out)
{
    kpar_value_id inverse;
    KPAR_TRY(kpar_build_unary(lowering->graph, KPAR_SCALAR_SQUARE, x, &inverse));
    KPAR_TRY(kpar_lower_reduce(lowering, KPAR_REDUCE_SUM, axes, true, inverse, &inverse));
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x reciprocal = kpar_x_div(e, kpar_x_constant(e, 1), kpar_x_sqrt(e, kpar_x_input(e, 0)));
    KPAR_TRY(kpar_lower_apply(lowering, e, kpar_x_min(e, reciprocal, kpar_x_constant(e, 1 / least)), &inverse,
                              1, &inverse));
    return kpar_build_binary(lowering->graph, KPAR_SCALAR_MULTIPLY, x, inverse, out);
}

/* Weights of shape (batch, ...) as (batch, ..., 1, ...), to broadcast over values of rank `rank`. */
static kpar_status weights_of_rank(kpar_lowering *lowering, kpar_value_id weights, int rank,
                                   kpar_value_id *out)
{
    kpar_shape shape = *kpar_lower_shape(lowering, weights);
    while (shape.rank < rank) shape.dims[shape.rank++] = (kpar_dim){1, false};
    return kpar_build_reshape(lowering->graph, shape, weights, out);
}

kpar_status kpar_lower_weighted(kpar_lowering *lowering, kpar_value_id values, kpar_value_id weights,
                                kpar_value_id factor, kpar_value_id *out)
{
    const int rank = kpar_lower_shape(lowering, values)->rank;
    kpar_value_id inputs[3] = {values, weights, factor};
    const int n_inputs = factor < 0 ? 2 : 3;
    KPAR_TRY(weights_of_rank(lowering, weights, rank, &inputs[1]));
    kpar_expression_builder *e = kpar_expression_begin(n_inputs);
    kpar_x weight = kpar_x_input(e, 1);
    if (factor >= 0) weight = kpar_x_mul(e, weight, kpar_x_input(e, 2));
    return kpar_lower_apply(lowering, e, kpar_x_mul(e, kpar_x_input(e, 0), weight), inputs, n_inputs, out);
}

kpar_status kpar_lower_weighted_sum(kpar_lowering *lowering, kpar_value_id values, kpar_value_id weights,
                                    kpar_value_id factor, kpar_value_id *out)
{
    const unsigned all = (1u << kpar_lower_shape(lowering, values)->rank) - 1;
    KPAR_TRY(kpar_lower_weighted(lowering, values, weights, factor, out));
    return kpar_build_reduce(lowering->graph, KPAR_REDUCE_SUM, all, *out, out);
}

kpar_status kpar_lower_report_value(kpar_lowering *lowering, kpar_value_id value, int *number,
                                    kpar_value_id *sum)
{
    kpar_value_id total;
    KPAR_TRY(kpar_build_accumulate(lowering->graph, value, &total));
    *number = lowering->n_report_values;
    lowering->n_report_values += (int)kpar_lower_elements(kpar_lower_shape(lowering, value), 0);
    kpar_graph_add_output(lowering->graph, KPAR_OUTPUT_REPORT, *number, total);
    if (sum) *sum = total;
    return KPAR_OK;
}

void kpar_lower_report(kpar_lowering *lowering, const char *name, int value, int weight)
{
    size_t count = (size_t)lowering->n_reports++;
    KPAR_PUSH(lowering->reports, count, lowering->reports_capacity) =
        (kpar_report_entry){kpar_arena_strdup(lowering->arena, name), value, weight, NULL};
}

void kpar_lower_report_formula(kpar_lowering *lowering, const char *name, int first, bool each_batch,
                               const kpar_expression *formula)
{
    const int entry = lowering->n_reports, n = formula->n_outputs;
    for (int i = 0; i < n; i++)
        kpar_lower_report(lowering, n == 1 ? name : kpar_arena_printf(lowering->arena, "%s[%d]", name, i),
                          first, each_batch ? KPAR_WEIGH_BATCHES : first);
    lowering->reports[entry].formula = formula;
}

kpar_status kpar_lower_known(kpar_lowering *lowering, const char *owner, const json_t *config,
                             const char *common, const char *extra, const char *defaults)
{
    return kpar_config_known(owner, config, kpar_arena_printf(lowering->arena, "%s %s", common, extra),
                             defaults);
}

const void *kpar_table_find(const void *rows, int n, size_t row_bytes, const char *name)
{
    for (int i = 0; i < n; i++) {
        const char *const *words = (const void *)((const char *)rows + (size_t)i * row_bytes);
        if (kpar_same_name(words[0], name) || strcasecmp(words[0], name) == 0 ||
            kpar_has_word(words[1], name))
            return words;
    }
    return NULL;
}

const char *kpar_table_names(kpar_arena *arena, const void *rows, int n, size_t row_bytes)
{
    const char *names = "";
    for (int i = 0; i < n; i++) {
        const char *const *words = (const void *)((const char *)rows + (size_t)i * row_bytes);
        names = kpar_arena_printf(arena, "%s%s%s", names, i ? ", " : "", words[0]);
    }
    return names;
}
