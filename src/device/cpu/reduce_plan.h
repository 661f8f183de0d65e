/* How a reduction is gone about: what its rows and lines are, and what threads share. */
#ifndef KPAR_DEVICE_CPU_REDUCE_PLAN_H
#define KPAR_DEVICE_CPU_REDUCE_PLAN_H

#include "device/cpu/cpu.h"
#include "device/cpu/reduce_loops.h"

/* Offsets of coordinates in the tensor, in order. */
typedef struct kpar_offsets {
    int64_t *at, n;
} kpar_offsets;

typedef struct kpar_reduction_plan {
    const kpar_reduce_loops *loops;
    bool last_kept;
    int n_outputs;
    int64_t length;     /* of a row (of `fold` rows) or line */
    int64_t fold, tail; /* tail: elements of the rows that are left over behind the folded ones, at `tails` */
    kpar_offsets kept, rows, tails; /* outer dimensions that are kept; rows or lines; last_kept: short rows */
    int64_t parts, rows_a_part;
    int64_t panel;       /* columns, or elements of lines, at a time */
    int64_t together;    /* lines that are computed at a time */
    float *partial;      /* n_outputs x kept x parts x length; NULL: the outputs themselves */
    kpar_evaluator *map; /* NULL: x is what is reduced */
    float *scratch;      /* with a map, for each thread and output: a piece, sums of such, lanes */
    int threads;
    const float *x; /* of a run */
    void *const *out;
} kpar_reduction_plan;

enum { KPAR_REDUCE_SCRATCH = 2 * KPAR_PIECE + KPAR_STRIP };

static inline float *kpar_reduce_scratch(const kpar_reduction_plan *s, int worker, int output)
{
    return s->scratch + ((int64_t)worker * s->n_outputs + output) * KPAR_REDUCE_SCRATCH;
}

/* Makes and frees the kernel's state. */
kpar_status kpar_reduce_prepare(kpar_cpu_device *device, kpar_cpu_kernel *k) KPAR_MUST_USE;
void kpar_reduce_release(kpar_cpu_kernel *k);

#endif
