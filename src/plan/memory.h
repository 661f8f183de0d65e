/* What memory a rank takes. */
#ifndef KPAR_PLAN_MEMORY_H
#define KPAR_PLAN_MEMORY_H

#include "plan/plan.h"

/* Bytes that the kernels of a program hold beside its arena. */
size_t kpar_program_workspace(const kpar_program *program, const kpar_device_class *device);

/* Bytes of a rank with these programs of the plan, which share an arena (NULL: not there): arena, workspace, what the transport
 * copies, and what a process takes by itself. Files that are mapped (data, the program) do not count. */
size_t kpar_rank_memory(const kpar_plan *plan, kpar_program *const *programs, int n);

/* Of the first rank of each stage, the most. Emits their programs. */
kpar_status kpar_plan_memory(const kpar_plan *plan, size_t *bytes) KPAR_MUST_USE;

#endif
