/* Inside of the CPU device: a row an op. */
#ifndef KPAR_DEVICE_CPU_CPU_H
#define KPAR_DEVICE_CPU_CPU_H

#include "device/cpu/evaluator.h"
#include "device/cpu/onednn.h"

typedef struct kpar_cpu_device {
    kpar_device base;
    int threads;
    kpar_onednn *onednn; /* NULL: a build without */
    kpar_device *reference;
} kpar_cpu_device;

typedef struct kpar_cpu_kernel kpar_cpu_kernel;

typedef struct kpar_cpu_rule {
    /* Whether there is a fast kernel for these types; what there is none for, the reference device computes. */
    bool (*fits)(const kpar_kernel_spec *spec);

    /* Whether it does the epilogue and the accumulation by itself. Others compute the anchor's result, and an
     * evaluator does the rest. NULL: never. */
    bool (*finishes)(const kpar_kernel_spec *spec);

    /* Bytes that a prepared kernel holds, about. NULL: nothing to speak of. */
    size_t (*workspace)(const kpar_kernel_spec *spec);

    /* Fills in kernel->state, which release frees. Both may be NULL. */
    kpar_status (*prepare)(kpar_cpu_device *device, kpar_cpu_kernel *kernel);
    void (*release)(kpar_cpu_kernel *kernel);

    /* out[0] is the place of the anchor's result, of type kpar_cpu_result_type. */
    kpar_status (*run)(kpar_cpu_kernel *kernel, void *const *in, void *const *out);
} kpar_cpu_rule;

struct kpar_cpu_kernel {
    kpar_kernel base;
    const kpar_cpu_rule *rule;
    int threads;
    void *state;
    kpar_evaluator *rest; /* epilogue and accumulation after the anchor; NULL: none */
    void *result;         /* memory for the anchor's result; NULL: it goes to output 0 */
    void **arguments;     /* of the evaluator: the result, then the epilogue's further inputs */
    kpar_kernel *fallback;
};

/* Type of an anchor's result, before an epilogue. */
kpar_dtype kpar_cpu_result_type(const kpar_kernel_spec *spec);

/* Recognizes x + bias, relu(x), relu(x + bias) behind an anchor of two inputs, with one bias for each element of the last
 * dimension; or no epilogue. False: another one. */
bool kpar_cpu_bias_relu(const kpar_kernel_spec *spec, bool *bias, bool *relu);

extern const kpar_cpu_rule kpar_cpu_map, kpar_cpu_copy, kpar_cpu_all_reduce, kpar_cpu_matmul, kpar_cpu_conv,
    kpar_cpu_pool, kpar_cpu_reduce, kpar_cpu_arg_reduce, kpar_cpu_cumulative, kpar_cpu_box, kpar_cpu_concat,
    kpar_cpu_pad, kpar_cpu_gather, kpar_cpu_scatter_add, kpar_cpu_constant, kpar_cpu_iota, kpar_cpu_random,
    kpar_cpu_softmax, kpar_cpu_softmax_gradient, kpar_cpu_cross_entropy, kpar_cpu_cross_entropy_gradient;

#endif
