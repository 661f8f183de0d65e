/* What the files of operations on tensors (keras.ops) share. Each file is one subject: lowerings, and the rows that name
 * them. The operands stand in the call's arguments, where layers have inputs: outputs of other calls, numbers, and
 * arrays that the config holds. */
#ifndef KPAR_MODEL_OPERATIONS_H
#define KPAR_MODEL_OPERATIONS_H

#include "model/lower_internal.h"

#define KPAR_OPERATION(name)                                                                                 \
    kpar_status name(kpar_lowering *lowering, const kpar_value_id *inputs, int n_inputs,                     \
                     kpar_value_id *output)

/* The rows of a subject. */
typedef struct kpar_operation_table {
    const kpar_layer_row *rows;
    int n;
} kpar_operation_table;
extern const kpar_operation_table kpar_operations_by_element, kpar_operations_of_functions,
    kpar_operations_of_order, kpar_operations_of_activation, kpar_operations_over_dimensions,
    kpar_operations_of_shape, kpar_operations_of_parts, kpar_operations_of_index, kpar_operations_of_products,
    kpar_operations_of_fourier, kpar_operations_of_images;
#define KPAR_OPERATION_TABLE(rows)                                                                           \
    {                                                                                                        \
        rows, (int)(sizeof rows / sizeof rows[0])                                                            \
    }

/* operations.c */
/* Whether `value` is an object of this class: "__keras_tensor__", "__slice__". */
bool kpar_operand_is(const json_t *value, const char *class_name);
/* Argument `number` of the call as it was written; NULL: it has fewer. `name` (NULL: none) is what it may be given by instead. */
const json_t *kpar_operand_json(const kpar_lowering *lowering, int number, const char *name);
/* The operand as a real value; or as what it is. */
kpar_status kpar_operand(kpar_lowering *lowering, const kpar_value_id *inputs, int number,
                         kpar_value_id *value) KPAR_MUST_USE;
kpar_status kpar_operand_given(kpar_lowering *lowering, const kpar_value_id *inputs, int number,
                               kpar_value_id *value) KPAR_MUST_USE;
/* The `index`-th of a list of operands, as a real value. */
kpar_status kpar_operand_in_list(kpar_lowering *lowering, const kpar_value_id *inputs, int number,
                                 size_t index, kpar_value_id *value) KPAR_MUST_USE;
/* What is given as `name`, where it is not null; -1: nothing is. */
kpar_status kpar_operand_named(kpar_lowering *lowering, const char *name, kpar_value_id *value) KPAR_MUST_USE;
/* The nested lists of numbers that an operand is; NULL: it is none. */
const json_t *kpar_operand_array(const json_t *value);
/* Argument `key`, a dimension after the batch of a tensor of this rank. */
kpar_status kpar_operation_axis(const kpar_lowering *lowering, const char *key, int64_t by_default, int rank,
                                int *dim) KPAR_MUST_USE;
/* Entry `i` of an argument that is a whole number or a list of them. */
static inline int64_t kpar_operation_entry(const json_t *argument, size_t i)
{
    return json_integer_value(json_is_array(argument) ? json_array_get(argument, i) : argument);
}
/* The formula of the row, of the call's one operand or two. */
KPAR_OPERATION(kpar_operation_of_one);
KPAR_OPERATION(kpar_operation_of_two);
#define KPAR_UNARY .lower = kpar_operation_of_one, .unary
#define KPAR_BINARY .lower = kpar_operation_of_two, .binary
/* Refuses an argument `key` of null: over all dimensions the batch would be one. */
kpar_status kpar_operation_has_axis(const kpar_lowering *lowering, const char *key) KPAR_MUST_USE;
/* As the type that argument `dtype` names, where it does. Booleans are real numbers here, 1 and 0. */
kpar_status kpar_operation_cast(kpar_lowering *lowering, kpar_value_id x,
                                kpar_value_id *output) KPAR_MUST_USE;

#endif
