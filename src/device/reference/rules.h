/* One function an op, on tensors converted to double, in plain loops: what an op means. */
#ifndef KPAR_DEVICE_REFERENCE_RULES_H
#define KPAR_DEVICE_REFERENCE_RULES_H

#include "device/spec.h"

/* in[i] and out[i] hold the tensors of the inputs and outputs. */
#define KPAR_REFERENCE_RULE(name)                                                                            \
    kpar_status kpar_reference_##name(const kpar_kernel_spec *spec, double *const *in, double *const *out)

KPAR_REFERENCE_RULE(map);
KPAR_REFERENCE_RULE(reduce);
KPAR_REFERENCE_RULE(map_reduce);
KPAR_REFERENCE_RULE(arg_reduce);
KPAR_REFERENCE_RULE(cumulative);
KPAR_REFERENCE_RULE(matmul);
KPAR_REFERENCE_RULE(conv);
KPAR_REFERENCE_RULE(conv_input_gradient);
KPAR_REFERENCE_RULE(conv_kernel_gradient);
KPAR_REFERENCE_RULE(pool);
KPAR_REFERENCE_RULE(max_pool_gradient);
KPAR_REFERENCE_RULE(mean_pool_gradient);
KPAR_REFERENCE_RULE(random);
KPAR_REFERENCE_RULE(copy);
KPAR_REFERENCE_RULE(all_reduce);
KPAR_REFERENCE_RULE(constant);
KPAR_REFERENCE_RULE(iota);
KPAR_REFERENCE_RULE(transpose);
KPAR_REFERENCE_RULE(slice);
KPAR_REFERENCE_RULE(pad);
KPAR_REFERENCE_RULE(concat);
KPAR_REFERENCE_RULE(gather);
KPAR_REFERENCE_RULE(scatter_add);
KPAR_REFERENCE_RULE(softmax);
KPAR_REFERENCE_RULE(softmax_gradient);
KPAR_REFERENCE_RULE(cross_entropy);
KPAR_REFERENCE_RULE(cross_entropy_gradient);

/* out = e(result, in[first], in[first + 1], ...), broadcast to the result's shape, which is the outputs'. */
void kpar_reference_epilogue(const kpar_kernel_spec *spec, const kpar_expression *e, const double *result,
                             double *const *in, int first, double *const *out);

/* The coordinates of element `i` of a row-major tensor, and the element at coordinates with strides. */
void kpar_reference_unravel(const kpar_tensor_spec *tensor, int64_t i, int64_t coordinates[KPAR_MAX_RANK]);
int64_t kpar_reference_ravel(int rank, const int64_t *coordinates, const int64_t *strides);

#endif
