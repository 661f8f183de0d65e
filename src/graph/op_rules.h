/* The rules behind the rows of the op table, a file a family. Only op.c includes this. */
#ifndef KPAR_GRAPH_OP_RULES_H
#define KPAR_GRAPH_OP_RULES_H

#include "graph/op.h"

#define KPAR_SHAPE_RULE(name)                                                                                \
    kpar_status kpar_shape_##name(const kpar_graph *g, const kpar_value_id *inputs, int n_inputs,            \
                                  const kpar_attributes *a, kpar_dtype *dtypes, kpar_shape *shapes,          \
                                  int *n_outputs)
#define KPAR_GRADIENT_RULE(name)                                                                             \
    kpar_status kpar_gradient_##name(kpar_graph *g, kpar_op_id id, const kpar_value_id *dy,                  \
                                     const bool *wanted, kpar_value_id *dx)
#define KPAR_FLOPS_RULE(name)                                                                                \
    double kpar_flops_##name(const kpar_attributes *a, const kpar_array *inputs, int n_inputs,               \
                             const kpar_array *outputs)

/* op_map.c */
KPAR_SHAPE_RULE(map);
KPAR_GRADIENT_RULE(map);
KPAR_FLOPS_RULE(map);
/* op_reduce.c */
KPAR_SHAPE_RULE(reduce);
KPAR_GRADIENT_RULE(reduce);
KPAR_FLOPS_RULE(reduce);
KPAR_SHAPE_RULE(map_reduce);
KPAR_FLOPS_RULE(map_reduce);
KPAR_SHAPE_RULE(arg_reduce);
/* op_cumulative.c */
KPAR_SHAPE_RULE(cumulative);
KPAR_GRADIENT_RULE(cumulative);
/* op_matmul.c */
KPAR_SHAPE_RULE(matmul);
KPAR_GRADIENT_RULE(matmul);
KPAR_FLOPS_RULE(matmul);
/* op_conv.c */
KPAR_SHAPE_RULE(conv);
KPAR_GRADIENT_RULE(conv);
KPAR_FLOPS_RULE(conv);
KPAR_SHAPE_RULE(conv_input_gradient);
KPAR_GRADIENT_RULE(conv_input_gradient);
KPAR_FLOPS_RULE(conv_input_gradient);
KPAR_SHAPE_RULE(conv_kernel_gradient);
KPAR_FLOPS_RULE(conv_kernel_gradient);
/* op_pool.c */
KPAR_SHAPE_RULE(pool);
KPAR_GRADIENT_RULE(pool);
KPAR_FLOPS_RULE(pool);
KPAR_SHAPE_RULE(max_pool_gradient);
KPAR_SHAPE_RULE(mean_pool_gradient);
KPAR_FLOPS_RULE(pool_gradient);
/* op_layout.c: what moves elements */
KPAR_SHAPE_RULE(transpose);
KPAR_GRADIENT_RULE(transpose);
KPAR_SHAPE_RULE(reshape);
KPAR_GRADIENT_RULE(reshape);
KPAR_SHAPE_RULE(slice);
KPAR_GRADIENT_RULE(slice);
KPAR_SHAPE_RULE(pad);
KPAR_GRADIENT_RULE(pad);
KPAR_SHAPE_RULE(concat);
KPAR_GRADIENT_RULE(concat);
/* op_gather.c */
KPAR_SHAPE_RULE(gather);
KPAR_GRADIENT_RULE(gather);
KPAR_SHAPE_RULE(scatter_add);
KPAR_GRADIENT_RULE(scatter_add);
/* op_softmax.c */
KPAR_SHAPE_RULE(softmax);
KPAR_GRADIENT_RULE(softmax);
KPAR_SHAPE_RULE(softmax_gradient);
KPAR_SHAPE_RULE(cross_entropy);
KPAR_GRADIENT_RULE(cross_entropy);
KPAR_SHAPE_RULE(cross_entropy_gradient);
KPAR_FLOPS_RULE(rows);
/* op_made.c: values out of nothing */
KPAR_SHAPE_RULE(made);
KPAR_SHAPE_RULE(random);
/* op_move.c: the same values elsewhere or later */
KPAR_SHAPE_RULE(same);
KPAR_SHAPE_RULE(send);
KPAR_GRADIENT_RULE(same);

#endif
