/* What memory a rank takes: its arena, what kernels hold, and a process by itself. */
#include "plan/memory.h"

/* Measured: what MPI, oneDNN with the code that it makes, the lists of instructions and the C library have on their heaps,
 * 6 to 18 MiB by the number of kernels. */
enum { PROCESS_BYTES = 9 << 20 };

size_t kpar_program_workspace(const kpar_program *program, const kpar_device_class *device)
{
    size_t bytes = 0;
    for (size_t i = 0; device->workspace && i < program->n_kernels; i++)
        bytes += device->workspace(&program->kernels[i]);
    return bytes;
}

size_t kpar_rank_memory(kpar_program *const *programs, int n, const kpar_device_class *device)
{
    size_t arena = 0, workspace = 0;
    for (int i = 0; i < n; i++) {
        if (!programs[i]) continue;
        if (programs[i]->arena_bytes > arena) arena = programs[i]->arena_bytes;
        workspace += kpar_program_workspace(programs[i], device);
    }
    return arena + workspace + PROCESS_BYTES;
}

kpar_status kpar_plan_memory(const kpar_plan *plan, size_t *bytes)
{
    const kpar_plan_options *o = kpar_plan_options_get(plan);
    *bytes = 0;
    for (int stage = 0; stage < o->mesh.pipeline; stage++) {
        kpar_program *programs[KPAR_MODE_COUNT];
        KPAR_TRY(kpar_plan_emit(plan, stage * o->mesh.data * o->mesh.tensor, programs));
        const size_t needed = kpar_rank_memory(programs, KPAR_MODE_COUNT, o->device);
        if (needed > *bytes) *bytes = needed;
        for (int mode = 0; mode < KPAR_MODE_COUNT; mode++)
            if (programs[mode]) kpar_program_destroy(programs[mode]);
    }
    return KPAR_OK;
}
