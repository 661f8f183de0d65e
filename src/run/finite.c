/* Values that are not finite: whether a guard lets pass, and which instruction such values come from. */
#include "run/executor_internal.h"

#include <math.h>

static bool all_finite_f32(const float *values, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(values[i])) return false;
    return true;
}

static bool all_finite_f64(const double *values, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(values[i])) return false;
    return true;
}

static bool is_finite(kpar_dtype dtype, const void *values, int64_t n)
{
    if (dtype == KPAR_F32) return all_finite_f32(values, n);
    if (dtype == KPAR_F64) return all_finite_f64(values, n);
    return true;
}

bool kpar_guard_passes(const kpar_loaded *loaded, int index)
{
    return is_finite(loaded->program->instructions[index].dtype, loaded->places[index][0], 1);
}

static bool tensor_is_finite(const kpar_loaded *loaded, int index, int place)
{
    const kpar_kernel_spec *kernel = &loaded->program->kernels[loaded->program->instructions[index].kernel];
    const kpar_tensor_spec *tensor = &kernel->tensors[place];
    return is_finite(tensor->dtype, loaded->places[index][place], kpar_count(tensor->rank, tensor->dims));
}

static bool overlap(const kpar_place *a, const kpar_place *b)
{
    return a->rank == b->rank && a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

/* Whether an instruction of the list before `index` writes any of the place. */
static bool was_written(const kpar_loaded *loaded, int index, const kpar_place *place)
{
    for (int i = (int)loaded->program->n_start; i < index; i++) {
        const kpar_instruction *in = &loaded->program->instructions[i];
        for (int p = in->n_places - in->n_writes; p < in->n_places; p++)
            if (overlap(&in->places[p], place)) return true;
    }
    return false;
}

bool kpar_may_be_source(const kpar_loaded *loaded, int index)
{
    const kpar_instruction *in = &loaded->program->instructions[index];
    const kpar_kernel_spec *kernel = &loaded->program->kernels[in->kernel];
    const int n_read = kernel->attributes.accumulate ? in->n_places : kernel->n_inputs;
    if (in->phase == KPAR_PHASE_UPDATE || in->lane != KPAR_LANE_COMPUTE) return false;
    for (int i = 0; i < n_read; i++)
        if (!tensor_is_finite(loaded, index, i) &&
            (in->places[i].rank >= 0 || was_written(loaded, index, &in->places[i])))
            return false;
    return true;
}

bool kpar_outputs_are_finite(const kpar_loaded *loaded, int index)
{
    const kpar_kernel_spec *kernel = &loaded->program->kernels[loaded->program->instructions[index].kernel];
    for (int i = 0; i < kernel->n_outputs; i++)
        if (!tensor_is_finite(loaded, index, kernel->n_inputs + i)) return false;
    return true;
}
