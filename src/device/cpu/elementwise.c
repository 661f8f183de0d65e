/* CPU kernels that are expressions: map, copies, and sums of several inputs. */
#include "device/cpu/cpu.h"

#include <string.h>

static bool always(const kpar_kernel_spec *spec)
{
    (void)spec;
    return true;
}

static bool without_epilogue(const kpar_kernel_spec *spec) { return !kpar_spec_epilogue(spec); }

static void release_evaluator(kpar_cpu_kernel *k) { kpar_evaluator_destroy(k->state); }

static kpar_status run_evaluator(kpar_cpu_kernel *k, void *const *in, void *const *out)
{
    kpar_evaluator_run(k->state, in, out);
    return KPAR_OK;
}

static kpar_status prepare_evaluator(kpar_cpu_kernel *k, const kpar_expression *e,
                                     const kpar_tensor_spec *inputs, const kpar_tensor_spec *outputs)
{
    kpar_evaluator *evaluator;
    KPAR_TRY(kpar_evaluator_create(e, inputs, outputs, k->base.spec->attributes.accumulate, 0, k->threads,
                                   &evaluator));
    k->state = evaluator;
    return KPAR_OK;
}

static kpar_status prepare_map(kpar_cpu_device *device, kpar_cpu_kernel *k)
{
    const kpar_kernel_spec *spec = k->base.spec;
    (void)device;
    return prepare_evaluator(k, spec->attributes.expression, spec->tensors, kpar_spec_output(spec, 0));
}

const kpar_cpu_rule kpar_cpu_map = {.fits = always,
                                    .finishes = always,
                                    .prepare = prepare_map,
                                    .release = release_evaluator,
                                    .run = run_evaluator};

/* ((i0 + i1) + i2) ... of inputs that may have other shapes than the output, but as many elements. */
static kpar_status prepare_sum(kpar_cpu_kernel *k, kpar_scalar_op op)
{
    const kpar_kernel_spec *spec = k->base.spec;
    const int n = spec->n_inputs;
    kpar_scalar *scalars = kpar_alloc_zeroed(2 * (size_t)n, sizeof *scalars);
    kpar_tensor_spec *flat = kpar_alloc_zeroed((size_t)n + 1, sizeof *flat);
    int last = 0;
    for (int i = 0; i <= n; i++)
        flat[i] = (kpar_tensor_spec){spec->tensors[i].dtype, 1, {kpar_tensor_count(&spec->tensors[i])}};
    for (int i = 0; i < n; i++) scalars[i] = (kpar_scalar){.op = KPAR_SCALAR_INPUT, .index = i};
    for (int i = 1; i < n; i++) {
        scalars[n + i - 1] = (kpar_scalar){.op = op, .a = last, .b = i};
        last = n + i - 1;
    }
    const kpar_expression sum = {n, 1, 2 * n - 1, scalars, &last};
    kpar_status status = prepare_evaluator(k, &sum, flat, &flat[n]);
    kpar_free(flat);
    kpar_free(scalars);
    return status;
}

static bool one_output(const kpar_kernel_spec *spec)
{
    return spec->n_outputs == 1 && !kpar_spec_epilogue(spec);
}

static kpar_status prepare_copy(kpar_cpu_device *device, kpar_cpu_kernel *k)
{
    (void)device;
    return k->base.spec->attributes.accumulate && one_output(k->base.spec) ? prepare_sum(k, KPAR_SCALAR_ADD)
                                                                           : KPAR_OK;
}

static kpar_status run_copy(kpar_cpu_kernel *k, void *const *in, void *const *out)
{
    const kpar_kernel_spec *spec = k->base.spec;
    if (k->state) return run_evaluator(k, in, out);
    for (int i = 0; i < spec->n_outputs; i++) {
        const kpar_tensor_spec *from = kpar_spec_input(spec, i), *to = kpar_spec_output(spec, i);
        const kpar_dtype type = i == 0 ? kpar_cpu_result_type(spec) : to->dtype;
        if (from->dtype != type)
            kpar_convert(out[i], type, in[i], from->dtype, (size_t)kpar_tensor_count(from));
        else if (in[i] != out[i])
            memcpy(out[i], in[i], kpar_tensor_bytes(from));
    }
    return KPAR_OK;
}

const kpar_cpu_rule kpar_cpu_copy = {.fits = always,
                                     .finishes = one_output,
                                     .prepare = prepare_copy,
                                     .release = release_evaluator,
                                     .run = run_copy};

static kpar_status prepare_all_reduce(kpar_cpu_device *device, kpar_cpu_kernel *k)
{
    (void)device;
    if (k->base.spec->n_outputs != 1) return KPAR_OK;
    return prepare_sum(k, kpar_reduction_operation(k->base.spec->attributes.reduction));
}

const kpar_cpu_rule kpar_cpu_all_reduce = {.fits = without_epilogue,
                                           .finishes = one_output,
                                           .prepare = prepare_all_reduce,
                                           .release = release_evaluator,
                                           .run = run_copy};
