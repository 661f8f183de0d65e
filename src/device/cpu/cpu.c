/* The CPU device: oneDNN for matmuls and convolutions, an evaluator for expressions, vector loops for the rest. */
#include "device/cpu/cpu.h"

#include "device/cpu/parallel.h"

static const kpar_cpu_rule *const rules[KPAR_OP_COUNT] = {
    [KPAR_OP_MAP] = &kpar_cpu_map,
    [KPAR_OP_REDUCE] = &kpar_cpu_reduce,
    [KPAR_OP_MAP_REDUCE] = &kpar_cpu_reduce,
    [KPAR_OP_ARG_REDUCE] = &kpar_cpu_arg_reduce,
    [KPAR_OP_CUMULATIVE] = &kpar_cpu_cumulative,
    [KPAR_OP_MATMUL] = &kpar_cpu_matmul,
    [KPAR_OP_CONV] = &kpar_cpu_conv,
    [KPAR_OP_CONV_INPUT_GRADIENT] = &kpar_cpu_conv,
    [KPAR_OP_CONV_KERNEL_GRADIENT] = &kpar_cpu_conv,
    [KPAR_OP_POOL] = &kpar_cpu_pool,
    [KPAR_OP_MAX_POOL_GRADIENT] = &kpar_cpu_pool,
    [KPAR_OP_MEAN_POOL_GRADIENT] = &kpar_cpu_pool,
    [KPAR_OP_TRANSPOSE] = &kpar_cpu_box,
    [KPAR_OP_RESHAPE] = &kpar_cpu_copy,
    [KPAR_OP_SLICE] = &kpar_cpu_box,
    [KPAR_OP_PAD] = &kpar_cpu_pad,
    [KPAR_OP_CONCAT] = &kpar_cpu_concat,
    [KPAR_OP_GATHER] = &kpar_cpu_gather,
    [KPAR_OP_SCATTER_ADD] = &kpar_cpu_scatter_add,
    [KPAR_OP_CONSTANT] = &kpar_cpu_constant,
    [KPAR_OP_IOTA] = &kpar_cpu_iota,
    [KPAR_OP_RANDOM] = &kpar_cpu_random,
    [KPAR_OP_SOFTMAX] = &kpar_cpu_softmax,
    [KPAR_OP_SOFTMAX_GRADIENT] = &kpar_cpu_softmax_gradient,
    [KPAR_OP_CROSS_ENTROPY] = &kpar_cpu_cross_entropy,
    [KPAR_OP_CROSS_ENTROPY_GRADIENT] = &kpar_cpu_cross_entropy_gradient,
    [KPAR_OP_ACCUMULATE] = &kpar_cpu_copy,
    [KPAR_OP_COMPUTE_COPY] = &kpar_cpu_copy,
    [KPAR_OP_ALL_REDUCE] = &kpar_cpu_all_reduce,
    [KPAR_OP_REDUCE_SCATTER] = &kpar_cpu_copy,
    [KPAR_OP_ALL_GATHER] = &kpar_cpu_copy,
};

static kpar_status cpu_create(const kpar_device_options *options, kpar_device **device)
{
    const kpar_device_options one = {.threads = 1};
    kpar_cpu_device *d = kpar_alloc_zeroed(1, sizeof *d);
    d->base.class = &kpar_device_cpu;
    d->threads = options->threads > 0 ? options->threads : 1;
    kpar_parallel_enter(d->threads);
    kpar_status status = kpar_onednn_create(&d->onednn);
    if (status == KPAR_OK) status = kpar_device_reference.create(&one, &d->reference);
    if (status == KPAR_OK)
        *device = &d->base;
    else
        kpar_device_cpu.destroy(&d->base);
    return status;
}

static void cpu_destroy(kpar_device *device)
{
    kpar_cpu_device *d = (kpar_cpu_device *)device;
    if (d->reference) kpar_device_reference.destroy(d->reference);
    kpar_onednn_destroy(d->onednn);
    kpar_free(d);
}

kpar_dtype kpar_cpu_result_type(const kpar_kernel_spec *spec)
{
    if (!kpar_spec_epilogue(spec)) return kpar_spec_output(spec, 0)->dtype;
    if (spec->op == KPAR_OP_ARG_REDUCE) return KPAR_I32;
    return spec->op == KPAR_OP_RANDOM ? KPAR_F32 : kpar_spec_input(spec, 0)->dtype;
}

static bool cpu_supports(const kpar_kernel_spec *spec)
{
    return spec->op >= 0 && spec->op < KPAR_OP_COUNT && rules[spec->op];
}

static bool has_rest(const kpar_kernel_spec *spec)
{
    const kpar_cpu_rule *rule = rules[spec->op];
    return (spec->attributes.accumulate || kpar_spec_epilogue(spec)) &&
           !(rule->finishes && rule->finishes(spec));
}

/* Accumulation after the fact is into one output. */
static bool is_fast(const kpar_kernel_spec *spec)
{
    return rules[spec->op]->fits(spec) &&
           (!has_rest(spec) || kpar_spec_epilogue(spec) || spec->n_outputs == 1);
}

/* Whether what comes before an epilogue or an accumulation has memory of its own: output 0 cannot hold it. */
static bool has_result(const kpar_kernel_spec *spec)
{
    return has_rest(spec) &&
           (spec->attributes.accumulate || kpar_cpu_result_type(spec) != kpar_spec_output(spec, 0)->dtype);
}

static size_t cpu_workspace(const kpar_kernel_spec *spec)
{
    const kpar_cpu_rule *rule = rules[spec->op];
    const size_t result = has_result(spec) ? kpar_tensor_bytes(kpar_spec_output(spec, 0)) : 0;
    return is_fast(spec) ? result + (rule->workspace ? rule->workspace(spec) : 0) : 0;
}

/* The evaluator of an epilogue, or of result + output; and memory for the result unless output 0 can hold it. */
static kpar_status prepare_rest(kpar_cpu_kernel *k)
{
    static const kpar_scalar input = {.op = KPAR_SCALAR_INPUT};
    static const int first = 0;
    static const kpar_expression identity = {1, 1, 1, &input, &first};
    const kpar_kernel_spec *spec = k->base.spec;
    const kpar_expression *e = kpar_spec_epilogue(spec);
    const int anchor = kpar_spec_anchor_inputs(spec), more = e ? spec->n_inputs - anchor : 0;
    kpar_tensor_spec *inputs = kpar_alloc_zeroed((size_t)more + 1, sizeof *inputs);
    inputs[0] = *kpar_spec_output(spec, 0);
    inputs[0].dtype = kpar_cpu_result_type(spec);
    for (int i = 0; i < more; i++) inputs[i + 1] = *kpar_spec_input(spec, anchor + i);
    k->arguments = kpar_alloc_zeroed((size_t)more + 1, sizeof *k->arguments);
    kpar_status status = kpar_evaluator_create(e ? e : &identity, inputs, kpar_spec_output(spec, 0),
                                               spec->attributes.accumulate, 0, k->threads, &k->rest);
    if (status == KPAR_OK && has_result(spec))
        status =
            kpar_try_alloc(kpar_tensor_bytes(&inputs[0]) + 1, "the result before an epilogue", &k->result);
    kpar_free(inputs);
    return status;
}

static void cpu_release(kpar_device *device, kpar_kernel *kernel)
{
    kpar_cpu_device *d = (kpar_cpu_device *)device;
    kpar_cpu_kernel *k = (kpar_cpu_kernel *)kernel;
    if (k->fallback) kpar_device_reference.release(d->reference, k->fallback);
    if (k->state && k->rule->release) k->rule->release(k);
    kpar_evaluator_destroy(k->rest);
    kpar_free_aligned(k->result);
    kpar_free(k->arguments);
    kpar_free(k);
}

static kpar_status prepare_parts(kpar_cpu_device *d, kpar_cpu_kernel *k)
{
    const kpar_kernel_spec *spec = k->base.spec;
    if (!is_fast(spec)) return kpar_device_reference.prepare(d->reference, spec, &k->fallback);
    if (k->rule->prepare) KPAR_TRY(k->rule->prepare(d, k));
    return has_rest(spec) ? prepare_rest(k) : KPAR_OK;
}

static kpar_status cpu_prepare(kpar_device *device, const kpar_kernel_spec *spec, kpar_kernel **kernel)
{
    kpar_cpu_device *d = (kpar_cpu_device *)device;
    KPAR_TRY(kpar_spec_check(spec));
    kpar_parallel_enter(d->threads);
    kpar_cpu_kernel *k = kpar_alloc_zeroed(1, sizeof *k);
    k->base.spec = spec;
    k->rule = rules[spec->op];
    k->threads = d->threads;
    kpar_status status = prepare_parts(d, k);
    if (status == KPAR_OK)
        *kernel = &k->base;
    else
        cpu_release(device, &k->base);
    return status;
}

static kpar_status cpu_run(kpar_device *device, kpar_kernel *kernel, void *const *places)
{
    kpar_cpu_device *d = (kpar_cpu_device *)device;
    kpar_cpu_kernel *k = (kpar_cpu_kernel *)kernel;
    const kpar_kernel_spec *spec = k->base.spec;
    void *const *outputs = places + spec->n_inputs;
    kpar_parallel_enter(d->threads);
    if (k->fallback) return kpar_device_reference.run(d->reference, k->fallback, places);
    if (!k->rest) return k->rule->run(k, places, outputs);
    void *result = k->result ? k->result : outputs[0];
    KPAR_TRY(k->rule->run(k, places, &result));
    const int anchor = kpar_spec_anchor_inputs(spec);
    k->arguments[0] = result;
    for (int i = anchor; i < spec->n_inputs && kpar_spec_epilogue(spec); i++)
        k->arguments[i - anchor + 1] = places[i];
    kpar_evaluator_run(k->rest, k->arguments, outputs);
    return KPAR_OK;
}

const kpar_device_class kpar_device_cpu = {
    .name = "cpu",
    .doc = "cores of the host: oneDNN and vector loops",
    .create = cpu_create,
    .destroy = cpu_destroy,
    .supports = cpu_supports,
    .prepare = cpu_prepare,
    .release = cpu_release,
    .run = cpu_run,
    .seconds = kpar_spec_seconds,
    .workspace = cpu_workspace,
    .arithmetic = kpar_onednn_describe,
};
