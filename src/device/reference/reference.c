/* The oracle: every op in plain loops over doubles, whatever the tensors' types. It copies its inputs before it
 * writes anything, so outputs may overlap them. Alone among the devices it may allocate while it runs: a list of
 * arguments for long expressions. */
#include "device/reference/rules.h"

typedef struct reference_kernel {
    kpar_kernel base;
    double **values; /* a copy of each tensor, then the anchor's result where there is an epilogue */
    int n_values;
    double *block; /* the memory of them all */
} reference_kernel;

static kpar_status (*const rules[KPAR_OP_COUNT])(const kpar_kernel_spec *spec, double *const *in,
                                                 double *const *out) = {
    [KPAR_OP_MAP] = kpar_reference_map,
    [KPAR_OP_REDUCE] = kpar_reference_reduce,
    [KPAR_OP_MAP_REDUCE] = kpar_reference_map_reduce,
    [KPAR_OP_ARG_REDUCE] = kpar_reference_arg_reduce,
    [KPAR_OP_CUMULATIVE] = kpar_reference_cumulative,
    [KPAR_OP_MATMUL] = kpar_reference_matmul,
    [KPAR_OP_CONV] = kpar_reference_conv,
    [KPAR_OP_CONV_INPUT_GRADIENT] = kpar_reference_conv_input_gradient,
    [KPAR_OP_CONV_KERNEL_GRADIENT] = kpar_reference_conv_kernel_gradient,
    [KPAR_OP_POOL] = kpar_reference_pool,
    [KPAR_OP_MAX_POOL_GRADIENT] = kpar_reference_max_pool_gradient,
    [KPAR_OP_MEAN_POOL_GRADIENT] = kpar_reference_mean_pool_gradient,
    [KPAR_OP_TRANSPOSE] = kpar_reference_transpose,
    [KPAR_OP_RESHAPE] = kpar_reference_copy,
    [KPAR_OP_SLICE] = kpar_reference_slice,
    [KPAR_OP_PAD] = kpar_reference_pad,
    [KPAR_OP_CONCAT] = kpar_reference_concat,
    [KPAR_OP_GATHER] = kpar_reference_gather,
    [KPAR_OP_SCATTER_ADD] = kpar_reference_scatter_add,
    [KPAR_OP_CONSTANT] = kpar_reference_constant,
    [KPAR_OP_IOTA] = kpar_reference_iota,
    [KPAR_OP_RANDOM] = kpar_reference_random,
    [KPAR_OP_SOFTMAX] = kpar_reference_softmax,
    [KPAR_OP_SOFTMAX_GRADIENT] = kpar_reference_softmax_gradient,
    [KPAR_OP_CROSS_ENTROPY] = kpar_reference_cross_entropy,
    [KPAR_OP_CROSS_ENTROPY_GRADIENT] = kpar_reference_cross_entropy_gradient,
    [KPAR_OP_ACCUMULATE] = kpar_reference_copy,
    [KPAR_OP_COMPUTE_COPY] = kpar_reference_copy,
    [KPAR_OP_ALL_REDUCE] = kpar_reference_all_reduce,
    [KPAR_OP_REDUCE_SCATTER] = kpar_reference_copy,
    [KPAR_OP_ALL_GATHER] = kpar_reference_copy,
};

static kpar_status reference_create(const kpar_device_options *options, kpar_device **device)
{
    (void)options;
    *device = kpar_alloc_zeroed(1, sizeof **device);
    (*device)->class = &kpar_device_reference;
    return KPAR_OK;
}

static void reference_destroy(kpar_device *device) { kpar_free(device); }

static bool reference_supports(const kpar_kernel_spec *spec)
{
    return spec->op >= 0 && spec->op < KPAR_OP_COUNT && rules[spec->op];
}

static void reference_release(kpar_device *device, kpar_kernel *kernel)
{
    reference_kernel *k = (reference_kernel *)kernel;
    (void)device;
    kpar_free_aligned(k->block);
    kpar_free(k->values);
    kpar_free(k);
}

/* The tensor whose shape value `i` has. */
static const kpar_tensor_spec *shape_of_value(const kpar_kernel_spec *spec, int i)
{
    return i < spec->n_inputs + spec->n_outputs ? &spec->tensors[i] : kpar_spec_output(spec, 0);
}

static kpar_status reference_prepare(kpar_device *device, const kpar_kernel_spec *spec, kpar_kernel **kernel)
{
    size_t elements = 0;
    void *block;
    KPAR_TRY(kpar_spec_check(spec));
    reference_kernel *k = kpar_alloc_zeroed(1, sizeof *k);
    k->base.spec = spec;
    k->n_values = spec->n_inputs + spec->n_outputs + (kpar_spec_epilogue(spec) != NULL);
    k->values = kpar_alloc_zeroed((size_t)k->n_values, sizeof *k->values);
    for (int i = 0; i < k->n_values; i++) elements += (size_t)kpar_tensor_count(shape_of_value(spec, i));
    kpar_status status =
        kpar_try_alloc((elements + 1) * sizeof(double), "a kernel of the reference device", &block);
    if (status != KPAR_OK) {
        reference_release(device, &k->base);
        return status;
    }
    double *next = k->block = block;
    for (int i = 0; i < k->n_values; i++) {
        k->values[i] = next;
        next += kpar_tensor_count(shape_of_value(spec, i));
    }
    *kernel = &k->base;
    return KPAR_OK;
}

/* Stores what was computed, or adds it to what is there. */
static void store(const kpar_kernel_spec *spec, int output, double *values, void *place)
{
    const kpar_tensor_spec *t = kpar_spec_output(spec, output);
    if (spec->attributes.accumulate)
        for (int64_t i = 0, n = kpar_tensor_count(t); i < n; i++) {
            double old;
            kpar_convert(&old, KPAR_F64, (char *)place + (size_t)i * kpar_dtype_bytes(t->dtype), t->dtype, 1);
            values[i] += old;
        }
    kpar_convert(place, t->dtype, values, KPAR_F64, (size_t)kpar_tensor_count(t));
}

static kpar_status reference_run(kpar_device *device, kpar_kernel *kernel, void *const *places)
{
    const reference_kernel *k = (const reference_kernel *)kernel;
    const kpar_kernel_spec *spec = k->base.spec;
    const kpar_expression *epilogue = kpar_spec_epilogue(spec);
    double **in = k->values, **out = k->values + spec->n_inputs,
           **result = epilogue ? out + spec->n_outputs : out;
    (void)device;
    for (int i = 0; i < spec->n_inputs; i++)
        kpar_convert(in[i], KPAR_F64, places[i], spec->tensors[i].dtype,
                     (size_t)kpar_tensor_count(&spec->tensors[i]));
    KPAR_TRY(rules[spec->op](spec, in, result));
    if (epilogue) kpar_reference_epilogue(spec, epilogue, result[0], in, kpar_spec_anchor_inputs(spec), out);
    for (int i = 0; i < spec->n_outputs; i++) store(spec, i, out[i], places[spec->n_inputs + i]);
    return KPAR_OK;
}

const kpar_device_class kpar_device_reference = {
    .name = "reference",
    .doc = "plain loops in double precision: slow, and what the others are compared with",
    .create = reference_create,
    .destroy = reference_destroy,
    .supports = reference_supports,
    .prepare = reference_prepare,
    .release = reference_release,
    .run = reference_run,
    .seconds = kpar_spec_seconds,
};
