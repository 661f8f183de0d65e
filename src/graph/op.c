/* The op table: words from KPAR_OP_LIST, rules from the files of each family. */
#include "graph/op.h"

#include "graph/op_rules.h"

#include <string.h>

/* shape rule, gradient rule, flops rule */
#define RULES_MAP kpar_shape_map, kpar_gradient_map, kpar_flops_map
#define RULES_REDUCE kpar_shape_reduce, kpar_gradient_reduce, kpar_flops_reduce
#define RULES_MAP_REDUCE kpar_shape_map_reduce, NULL, kpar_flops_map_reduce
#define RULES_ARG_REDUCE kpar_shape_arg_reduce, NULL, kpar_flops_reduce
#define RULES_CUMULATIVE kpar_shape_cumulative, kpar_gradient_cumulative, kpar_flops_reduce
#define RULES_MATMUL kpar_shape_matmul, kpar_gradient_matmul, kpar_flops_matmul
#define RULES_CONV kpar_shape_conv, kpar_gradient_conv, kpar_flops_conv
#define RULES_CONV_INPUT_GRADIENT                                                                            \
    kpar_shape_conv_input_gradient, kpar_gradient_conv_input_gradient, kpar_flops_conv_input_gradient
#define RULES_CONV_KERNEL_GRADIENT kpar_shape_conv_kernel_gradient, NULL, kpar_flops_conv_kernel_gradient
#define RULES_POOL kpar_shape_pool, kpar_gradient_pool, kpar_flops_pool
#define RULES_MAX_POOL_GRADIENT kpar_shape_max_pool_gradient, NULL, kpar_flops_pool_gradient
#define RULES_MEAN_POOL_GRADIENT kpar_shape_mean_pool_gradient, NULL, kpar_flops_pool_gradient
#define RULES_TRANSPOSE kpar_shape_transpose, kpar_gradient_transpose, NULL
#define RULES_RESHAPE kpar_shape_reshape, kpar_gradient_reshape, NULL
#define RULES_SLICE kpar_shape_slice, kpar_gradient_slice, NULL
#define RULES_PAD kpar_shape_pad, kpar_gradient_pad, NULL
#define RULES_CONCAT kpar_shape_concat, kpar_gradient_concat, NULL
#define RULES_GATHER kpar_shape_gather, kpar_gradient_gather, NULL
#define RULES_SCATTER_ADD kpar_shape_scatter_add, kpar_gradient_scatter_add, NULL
#define RULES_CONSTANT kpar_shape_made, NULL, NULL
#define RULES_IOTA kpar_shape_made, NULL, NULL
#define RULES_RANDOM kpar_shape_random, NULL, NULL
#define RULES_SOFTMAX kpar_shape_softmax, kpar_gradient_softmax, kpar_flops_rows
#define RULES_SOFTMAX_GRADIENT kpar_shape_softmax_gradient, NULL, kpar_flops_rows
#define RULES_CROSS_ENTROPY kpar_shape_cross_entropy, kpar_gradient_cross_entropy, kpar_flops_rows
#define RULES_CROSS_ENTROPY_GRADIENT kpar_shape_cross_entropy_gradient, NULL, kpar_flops_rows
#define RULES_ACCUMULATE kpar_shape_same, NULL, NULL
#define RULES_COMPUTE_COPY kpar_shape_same, kpar_gradient_same, NULL
#define RULES_SPLIT kpar_shape_same, NULL, NULL
#define RULES_ALL_REDUCE kpar_shape_same, NULL, NULL
#define RULES_REDUCE_SCATTER kpar_shape_same, NULL, NULL
#define RULES_ALL_GATHER kpar_shape_same, NULL, NULL
#define RULES_SEND kpar_shape_send, NULL, NULL
#define RULES_RECEIVE kpar_shape_made, NULL, NULL

#define FULL_ROW(op_name, op_doc, op_inputs, shape_rule, gradient_rule, flops_rule)                          \
    {                                                                                                        \
        .name = (op_name), .doc = (op_doc), .n_inputs = (op_inputs), .shape = (shape_rule),                  \
        .gradient = (gradient_rule), .flops = (flops_rule)                                                   \
    }
#define EXPAND(macro, arguments) macro arguments

static const kpar_op_row rows[KPAR_OP_COUNT] = {
#define ROW(constant, name, inputs, doc)                                                                     \
    [KPAR_OP_##constant] = EXPAND(FULL_ROW, (name, doc, inputs, RULES_##constant)),
    KPAR_OP_LIST(ROW)
#undef ROW
};

const kpar_op_row *kpar_op_row_get(kpar_op_kind kind) { return &rows[kind]; }

bool kpar_op_parse(const char *name, kpar_op_kind *kind)
{
    for (int i = 0; i < KPAR_OP_COUNT; i++)
        if (strcmp(rows[i].name, name) == 0) {
            *kind = (kpar_op_kind)i;
            return true;
        }
    return false;
}
