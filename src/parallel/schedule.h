/* Pipeline schedules: generators of actions, a file each. */
#ifndef KPAR_PARALLEL_SCHEDULE_H
#define KPAR_PARALLEL_SCHEDULE_H

#include "graph/graph.h"

typedef struct kpar_action {
    kpar_part part; /* forward or backward */
    int microbatch;
} kpar_action;

typedef struct kpar_schedule_shape {
    int stage, stages, microbatches;
} kpar_schedule_shape;

/* Writes the 2 * microbatches actions of one stage in order. Backward actions come in order of microbatches. */
typedef void (*kpar_schedule_generator)(const kpar_schedule_shape *shape, kpar_action *actions);

typedef struct kpar_schedule {
    const char *name, *doc;
    kpar_schedule_generator generate;
} kpar_schedule;

const kpar_schedule *kpar_schedules(int *n);
const kpar_schedule *kpar_schedule_find(const char *name); /* NULL: none of that name */

void kpar_schedule_gpipe(const kpar_schedule_shape *shape, kpar_action *actions);
void kpar_schedule_1f1b(const kpar_schedule_shape *shape, kpar_action *actions);

/* All microbatches visit all stages in order, forward before backward, nothing waits for ever: for tests. */
kpar_status kpar_schedule_prove(const kpar_schedule *schedule, int stages, int microbatches) KPAR_MUST_USE;

#endif
