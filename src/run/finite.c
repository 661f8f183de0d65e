/* Where a value that is not finite comes from. */
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

static bool is_finite(const kpar_tensor_spec *tensor, const void *values, size_t bytes)
{
    int64_t n = kpar_count(tensor->rank, tensor->dims);
    if ((size_t)n > bytes / kpar_dtype_bytes(tensor->dtype)) return true;
    if (tensor->dtype == KPAR_F32) return all_finite_f32(values, n);
    if (tensor->dtype == KPAR_F64) return all_finite_f64(values, n);
    return true;
}

int kpar_not_finite_output(const kpar_loaded *loaded, int index, size_t bytes)
{
    const kpar_kernel_spec *kernel = &loaded->program->kernels[loaded->program->instructions[index].kernel];
    for (int i = 0; i < kernel->n_outputs; i++) {
        int place = kernel->n_inputs + i;
        if (!is_finite(&kernel->tensors[place], loaded->places[index][place], bytes)) return i;
    }
    return -1;
}

static bool is_local_forward(const kpar_instruction *in)
{
    if (in->kind != KPAR_INSTRUCTION_KERNEL || in->phase == KPAR_PHASE_UPDATE) return false;
    for (int i = 0; i < in->n_places; i++)
        if (in->places[i].rank >= 0) return false;
    return true;
}

static bool contains(const kpar_place *outer, const kpar_place *inner)
{
    return outer->rank == inner->rank && outer->offset <= inner->offset &&
           inner->offset + inner->bytes <= outer->offset + outer->bytes;
}

/* The receive before instruction `index` that brought it an input which is not finite; -1 if none. */
static int bringing_receive(const kpar_loaded *loaded, int first, int index)
{
    const kpar_instruction *all = loaded->program->instructions, *in = &all[index];
    const kpar_kernel_spec *kernel = &loaded->program->kernels[in->kernel];
    for (int i = 0; i < kernel->n_inputs; i++) {
        if (is_finite(&kernel->tensors[i], loaded->places[index][i], SIZE_MAX)) continue;
        for (int r = index - 1; r >= first; r--)
            if (all[r].kind == KPAR_INSTRUCTION_RECEIVE && contains(&all[r].places[0], &in->places[i]))
                return r;
    }
    return -1;
}

int kpar_executor_first_not_finite(kpar_executor *executor, int program)
{
    const kpar_loaded *loaded = &executor->programs[program];
    const kpar_run_list *list = &loaded->lists[KPAR_LIST_RUN];
    for (int i = list->first; i < list->end; i++) {
        const kpar_instruction *in = &loaded->program->instructions[i];
        if (!is_local_forward(in)) continue;
        const int receive =
            bringing_receive(loaded, list->first, i); /* the output may take an input's place */
        if (kpar_executor_run_kernel(executor, loaded, i) != KPAR_OK) return i;
        if (kpar_not_finite_output(loaded, i, SIZE_MAX) >= 0) return receive >= 0 ? receive : i;
    }
    return -1;
}
