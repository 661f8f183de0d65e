/* Operations on tensors (keras.ops): the tables of all subjects, and operands. */
#include "model/operations.h"

#include <string.h>

static const kpar_operation_table *const tables[] = {
    &kpar_operations_by_element,    &kpar_operations_of_functions,    &kpar_operations_of_order,
    &kpar_operations_of_activation, &kpar_operations_over_dimensions, &kpar_operations_of_shape,
    &kpar_operations_of_parts,      &kpar_operations_of_index,        &kpar_operations_of_products,
    &kpar_operations_of_fourier,    &kpar_operations_of_images,
};
enum { TABLES = sizeof tables / sizeof tables[0] };

const kpar_layer_row *kpar_operation_row_find(const char *class_name)
{
    for (int t = 0; t < TABLES; t++)
        for (int i = 0; i < tables[t]->n; i++)
            if (strcmp(tables[t]->rows[i].class_name, class_name) == 0) return &tables[t]->rows[i];
    return NULL;
}

const char *kpar_operation_names(kpar_arena *arena)
{
    const char *names = "";
    for (int t = 0; t < TABLES; t++)
        names = kpar_arena_printf(
            arena, "%s%s%s", names, t ? ", " : "",
            kpar_table_names(arena, tables[t]->rows, tables[t]->n, sizeof tables[t]->rows[0]));
    return names;
}

bool kpar_operand_is(const json_t *value, const char *class_name)
{
    const char *found = json_string_value(json_object_get(value, "class_name"));
    return found && strcmp(found, class_name) == 0;
}

/* Tensors among an argument, which are the call's inputs in order. */
static int count_tensors(const json_t *value)
{
    int n = kpar_operand_is(value, "__keras_tensor__");
    for (size_t i = 0; json_is_array(value) && i < json_array_size(value); i++)
        n += count_tensors(json_array_get(value, i));
    return n;
}

const json_t *kpar_operand_json(const kpar_lowering *lowering, int number, const char *name)
{
    const kpar_call *call = &lowering->model->calls[lowering->call];
    const json_t *value = json_array_get(call->args, (size_t)number);
    return value || !name ? value : json_object_get(call->kwargs, name);
}

const json_t *kpar_operand_array(const json_t *value)
{
    if (kpar_operand_is(value, "__tensor__") || kpar_operand_is(value, "__numpy__"))
        value = json_object_get(json_object_get(value, "config"), "value");
    return json_is_array(value) || json_is_number(value) || json_is_boolean(value) ? value : NULL;
}

/* `tensor` is the value where the operand is one. */
static kpar_status value_of(kpar_lowering *lowering, const json_t *json, kpar_value_id tensor,
                            const char *what, kpar_value_id *value)
{
    const json_t *array = kpar_operand_array(json);
    *value = tensor;
    if (kpar_operand_is(json, "__keras_tensor__")) return KPAR_OK;
    if (json_is_array(array) && count_tensors(array) == 0) return kpar_lower_array(lowering, array, value);
    if (array && !json_is_array(array)) {
        const double given = json_is_number(array) ? json_number_value(array) : (double)json_is_true(array);
        return kpar_build_constant(lowering->graph, given, (kpar_shape){.rank = 0}, value);
    }
    return kpar_fail(KPAR_EUNSUPPORTED, "%s: argument %s: expected a tensor or a number", lowering->owner,
                     what);
}

static int tensors_before(const kpar_lowering *lowering, int number)
{
    int before = 0;
    for (int i = 0; i < number; i++) before += count_tensors(kpar_operand_json(lowering, i, NULL));
    return before;
}

kpar_status kpar_operand_given(kpar_lowering *lowering, const kpar_value_id *inputs, int number,
                               kpar_value_id *value)
{
    const char *what = kpar_arena_printf(lowering->arena, "%d", number + 1);
    return value_of(lowering, kpar_operand_json(lowering, number, NULL),
                    inputs[tensors_before(lowering, number)], what, value);
}

kpar_status kpar_operand(kpar_lowering *lowering, const kpar_value_id *inputs, int number,
                         kpar_value_id *value)
{
    KPAR_TRY(kpar_operand_given(lowering, inputs, number, value));
    return kpar_lower_real(lowering, *value, value);
}

kpar_status kpar_operand_in_list(kpar_lowering *lowering, const kpar_value_id *inputs, int number,
                                 size_t index, kpar_value_id *value)
{
    const json_t *list = kpar_operand_json(lowering, number, NULL);
    const char *what = kpar_arena_printf(lowering->arena, "%d", number + 1);
    int before = tensors_before(lowering, number);
    for (size_t i = 0; i < index; i++) before += count_tensors(json_array_get(list, i));
    KPAR_TRY(value_of(lowering, json_array_get(list, index), inputs[before], what, value));
    return kpar_lower_real(lowering, *value, value);
}

kpar_status kpar_operand_named(kpar_lowering *lowering, const char *name, kpar_value_id *value)
{
    const json_t *json = json_object_get(lowering->model->calls[lowering->call].kwargs, name);
    *value = -1;
    if (!json || json_is_null(json)) return KPAR_OK;
    KPAR_TRY(value_of(lowering, json, kpar_lower_named(lowering, name, 0), name, value));
    return kpar_lower_real(lowering, *value, value);
}

kpar_status kpar_operation_axis(const kpar_lowering *lowering, const char *key, int64_t by_default, int rank,
                                int *dim)
{
    int64_t axis;
    KPAR_TRY(kpar_config_integer(lowering->owner, lowering->layer->config, key, by_default, &axis));
    return kpar_lower_dim(lowering, axis, rank, dim);
}

kpar_status kpar_operation_has_axis(const kpar_lowering *lowering, const char *key)
{
    if (!json_is_null(json_object_get(lowering->layer->config, key))) return KPAR_OK;
    return kpar_fail(KPAR_EUNSUPPORTED,
                     "%s: over all dimensions, the batch too; give an axis after the batch", lowering->owner);
}

kpar_status kpar_operation_cast(kpar_lowering *lowering, kpar_value_id x, kpar_value_id *output)
{
    const char *name;
    kpar_dtype dtype;
    KPAR_TRY(kpar_config_string(lowering->owner, lowering->layer->config, "dtype", "float32", &name));
    const bool known = kpar_dtype_parse(name, &dtype);
    if (known && dtype == KPAR_F32) return kpar_lower_real(lowering, x, output);
    if (!known || (dtype != KPAR_I32 && dtype != KPAR_I64 && dtype != KPAR_BOOL))
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: argument 'dtype' is \"%s\"; supported are float32, int32, int64 and bool",
                         lowering->owner, name);
    KPAR_TRY(kpar_build_cast(lowering->graph, dtype, x, output));
    return dtype == KPAR_BOOL ? kpar_lower_real(lowering, *output, output) : KPAR_OK;
}

KPAR_OPERATION(kpar_operation_of_one)
{
    kpar_value_id x;
    (void)n_inputs;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, &x));
    kpar_expression_builder *e = kpar_expression_begin(1);
    return kpar_lower_apply(lowering, e, lowering->layer->row->unary(e, kpar_x_input(e, 0)), &x, 1, output);
}

KPAR_OPERATION(kpar_operation_of_two)
{
    kpar_value_id terms[2];
    (void)n_inputs;
    for (int i = 0; i < 2; i++) KPAR_TRY(kpar_operand(lowering, inputs, i, &terms[i]));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x value = lowering->layer->row->binary(e, kpar_x_input(e, 0), kpar_x_input(e, 1));
    return kpar_lower_apply(lowering, e, value, terms, 2, output);
}
