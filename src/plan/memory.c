/* What memory a rank takes: its arena, what kernels hold, what the transport copies, and a process by itself. */
#include "plan/memory.h"

/* Measured. On their heaps MPI has 3 MiB, the C library and the programs' own data 1.7, HDF5 1, oneDNN before its first
 * kernel 0.6. An op of a graph has the copies of it that passes made, its shapes and instructions; a kernel its code and
 * the blocks that it computes in. */
enum { LIBRARIES_BYTES = 6400 << 10, OP_BYTES = 4608, KERNEL_BYTES = 16 << 10 };

size_t kpar_program_workspace(const kpar_program *program, const kpar_device_class *device)
{
    size_t bytes = 0;
    for (size_t i = 0; device->workspace && i < program->n_kernels; i++)
        bytes += device->workspace(&program->kernels[i]);
    return bytes;
}

/* MPI libraries sum up in a copy of what they reduce. */
static size_t copied_bytes(const kpar_program *program)
{
    size_t most = 0;
    for (size_t i = 0; i < program->n_instructions; i++) {
        const kpar_instruction *in = &program->instructions[i];
        if (in->kind == KPAR_INSTRUCTION_COLLECTIVE && in->collective != KPAR_COLLECTIVE_ALL_GATHER &&
            in->places[0].bytes > most)
            most = in->places[0].bytes;
    }
    return most;
}

static size_t process_bytes(const kpar_plan *plan)
{
    size_t ops = 0;
    for (int mode = 0; mode < KPAR_MODE_COUNT; mode++) {
        const kpar_graph *graph = kpar_plan_graph(plan, (kpar_mode)mode);
        if (graph) ops += graph->n_ops;
    }
    return LIBRARIES_BYTES + ops * OP_BYTES;
}

size_t kpar_rank_memory(const kpar_plan *plan, kpar_program *const *programs, int n)
{
    const kpar_device_class *device = kpar_plan_options_get(plan)->device;
    size_t arena = 0, copied = 0, kernels = 0;
    for (int i = 0; i < n; i++) {
        if (!programs[i]) continue;
        if (programs[i]->arena_bytes > arena) arena = programs[i]->arena_bytes;
        if (copied_bytes(programs[i]) > copied) copied = copied_bytes(programs[i]);
        kernels += kpar_program_workspace(programs[i], device) + programs[i]->n_kernels * KERNEL_BYTES;
    }
    return arena + copied + kernels + process_bytes(plan);
}

kpar_status kpar_plan_memory(const kpar_plan *plan, size_t *bytes)
{
    const kpar_plan_options *o = kpar_plan_options_get(plan);
    *bytes = 0;
    for (int stage = 0; stage < o->mesh.pipeline; stage++) {
        kpar_program *programs[KPAR_MODE_COUNT];
        KPAR_TRY(kpar_plan_emit(plan, stage * o->mesh.data * o->mesh.tensor, programs));
        const size_t needed = kpar_rank_memory(plan, programs, KPAR_MODE_COUNT);
        if (needed > *bytes) *bytes = needed;
        for (int mode = 0; mode < KPAR_MODE_COUNT; mode++)
            if (programs[mode]) kpar_program_destroy(programs[mode]);
    }
    return KPAR_OK;
}
