/* Short ways to append ops, for lowerings and gradients. Each returns the new value through `out`; errors name
 * the graph's current layer. */
#ifndef KPAR_GRAPH_BUILD_H
#define KPAR_GRAPH_BUILD_H

#include "graph/op.h"

/* map with one output. The expression's inputs are `inputs`, which broadcast (numpy's rule: aligned at the end).
 * The result is real, or has the type of input 0 where all inputs are integers. Constants are taken into the
 * expression, inputs that are not read are left out, and an output that is just an input is that input. */
kpar_status kpar_build_map(kpar_graph *g, const kpar_expression *e, const kpar_value_id *inputs, int n_inputs,
                           kpar_value_id *out) KPAR_MUST_USE;
/* map with e->n_outputs outputs. */
kpar_status kpar_build_map_many(kpar_graph *g, const kpar_expression *e, const kpar_value_id *inputs,
                                int n_inputs, kpar_value_id *outs) KPAR_MUST_USE;
/* `a`, repeated along dimensions so that its shape is `shape`. */
kpar_status kpar_build_broadcast(kpar_graph *g, kpar_shape shape, kpar_value_id a,
                                 kpar_value_id *out) KPAR_MUST_USE;
kpar_status kpar_build_unary(kpar_graph *g, kpar_scalar_op op, kpar_value_id a,
                             kpar_value_id *out) KPAR_MUST_USE;
kpar_status kpar_build_binary(kpar_graph *g, kpar_scalar_op op, kpar_value_id a, kpar_value_id b,
                              kpar_value_id *out) KPAR_MUST_USE;
/* a * factor + offset */
kpar_status kpar_build_affine(kpar_graph *g, kpar_value_id a, double factor, double offset,
                              kpar_value_id *out) KPAR_MUST_USE;
kpar_status kpar_build_reduce(kpar_graph *g, kpar_reduction reduction, unsigned axes, kpar_value_id a,
                              kpar_value_id *out) KPAR_MUST_USE;
kpar_status kpar_build_arg_reduce(kpar_graph *g, int axis, kpar_value_id a, kpar_value_id *out) KPAR_MUST_USE;
/* As another type: real numbers truncated to whole ones, and what is not 0 as 1 where it is a bool. */
kpar_status kpar_build_cast(kpar_graph *g, kpar_dtype dtype, kpar_value_id a,
                            kpar_value_id *out) KPAR_MUST_USE;
/* Sum or product along `axis` of the elements before each (reverse: behind it) and, unless exclusive, itself. */
kpar_status kpar_build_cumulative(kpar_graph *g, kpar_reduction reduction, int axis, bool exclusive,
                                  bool reverse, kpar_value_id a, kpar_value_id *out) KPAR_MUST_USE;
kpar_status kpar_build_matmul(kpar_graph *g, kpar_value_id a, bool transpose_a, kpar_value_id b,
                              bool transpose_b, kpar_value_id *out) KPAR_MUST_USE;
/* Correlation of x (batch, ..., in) with a kernel (..., in / groups, out), where `window` holds start, stop, stride and
 * dilation of each dimension of x. */
kpar_status kpar_build_conv(kpar_graph *g, const kpar_attributes *window, kpar_value_id x,
                            kpar_value_id kernel, kpar_value_id *out) KPAR_MUST_USE;
/* The convolution's gradient by its images, which have `window->shape`: from (batch, ..., out) and the kernel. */
kpar_status kpar_build_conv_input_gradient(kpar_graph *g, const kpar_attributes *window, kpar_value_id x,
                                           kpar_value_id kernel, kpar_value_id *out) KPAR_MUST_USE;
/* As conv, with `window` and `reduction`. */
kpar_status kpar_build_pool(kpar_graph *g, const kpar_attributes *window, kpar_value_id x,
                            kpar_value_id *out) KPAR_MUST_USE;
kpar_status kpar_build_transpose(kpar_graph *g, const int *permutation, kpar_value_id a,
                                 kpar_value_id *out) KPAR_MUST_USE;
/* The new shape has as many elements and as many factors `batch` as the old one. */
kpar_status kpar_build_reshape(kpar_graph *g, kpar_shape shape, kpar_value_id a,
                               kpar_value_id *out) KPAR_MUST_USE;
kpar_status kpar_build_slice(kpar_graph *g, const int64_t *start, const int64_t *stop, kpar_value_id a,
                             kpar_value_id *out) KPAR_MUST_USE;
kpar_status kpar_build_pad(kpar_graph *g, const int64_t *before, const int64_t *after, kpar_value_id a,
                           kpar_value_id *out) KPAR_MUST_USE;
kpar_status kpar_build_concat(kpar_graph *g, int axis, const kpar_value_id *inputs, int n_inputs,
                              kpar_value_id *out) KPAR_MUST_USE;
kpar_status kpar_build_gather(kpar_graph *g, kpar_value_id table, kpar_value_id indices,
                              kpar_value_id *out) KPAR_MUST_USE;
/* Of each sample's own table (batch, v, ...) the rows that its indices (batch, ...) say. */
kpar_status kpar_build_gather_each(kpar_graph *g, kpar_value_id table, kpar_value_id indices,
                                   kpar_value_id *out) KPAR_MUST_USE;
kpar_status kpar_build_constant(kpar_graph *g, double value, kpar_shape shape,
                                kpar_value_id *out) KPAR_MUST_USE;
kpar_status kpar_build_iota(kpar_graph *g, int axis, kpar_dtype dtype, kpar_shape shape,
                            kpar_value_id *out) KPAR_MUST_USE;
/* Uniform in [0, 1), of `shape` (dimension 0 is the batch). Element (row, i) is a function of `key`, the int64
 * scalar `step`, the row's position in the global batch, and i alone. */
kpar_status kpar_build_random(kpar_graph *g, uint64_t key, kpar_value_id positions, kpar_value_id step,
                              kpar_shape shape, kpar_value_id *out) KPAR_MUST_USE;
kpar_status kpar_build_softmax(kpar_graph *g, kpar_value_id a, kpar_value_id *out) KPAR_MUST_USE;
kpar_status kpar_build_cross_entropy(kpar_graph *g, kpar_value_id logits, kpar_value_id labels, bool sparse,
                                     kpar_value_id *out) KPAR_MUST_USE;
/* Sum over microbatches; the result's phase is FACTS or UPDATE, after the phase of `a`. */
kpar_status kpar_build_accumulate(kpar_graph *g, kpar_value_id a, kpar_value_id *out) KPAR_MUST_USE;
/* The value computed again, in the current phase, from what it comes from. KPAR_EUNSUPPORTED: it depends on a variable. */
kpar_status kpar_build_again(kpar_graph *g, kpar_value_id value, kpar_value_id *out) KPAR_MUST_USE;
kpar_status kpar_build_compute_copy(kpar_graph *g, kpar_value_id a, kpar_value_id *out) KPAR_MUST_USE;

#endif
