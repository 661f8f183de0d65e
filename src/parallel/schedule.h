/* Pipeline schedules: generators of actions, a file each.
 *
 * A rank of the pipeline has one stage, or several of them, its chunks: stage s lies on rank s % ranks. A generator writes
 * what one rank does, in order. */
#ifndef KPAR_PARALLEL_SCHEDULE_H
#define KPAR_PARALLEL_SCHEDULE_H

#include "graph/graph.h"

typedef struct kpar_action {
    kpar_part part;
    int microbatch;
    int stage;
} kpar_action;

typedef struct kpar_schedule_shape {
    int rank, ranks, microbatches;
    int chunks; /* stages on the rank, at least 1 */
} kpar_schedule_shape;

/* Writes the actions of one rank in order and returns their number. For each of its stages every part comes in order of
 * microbatches. */
typedef int (*kpar_schedule_generator)(const kpar_schedule_shape *shape, kpar_action *actions);

typedef struct kpar_schedule {
    const char *name, *doc;
    kpar_schedule_generator generate;
    int chunks;           /* stages a rank unless said otherwise; 1: no other number will do */
    bool splits_backward; /* weights' gradients are actions of their own, KPAR_BACKWARD_WEIGHT */
} kpar_schedule;

const kpar_schedule *kpar_schedules(int *n);
const kpar_schedule *kpar_schedule_find(const char *name); /* NULL: none of that name */

/* Room for a rank's actions. */
static inline size_t kpar_schedule_room(const kpar_schedule_shape *shape)
{
    return 3 * (size_t)shape->chunks * (size_t)shape->microbatches + 1;
}

int kpar_schedule_gpipe(const kpar_schedule_shape *shape, kpar_action *actions);
int kpar_schedule_1f1b(const kpar_schedule_shape *shape, kpar_action *actions);
int kpar_schedule_interleaved(const kpar_schedule_shape *shape, kpar_action *actions);
int kpar_schedule_zb_h1(const kpar_schedule_shape *shape, kpar_action *actions);

/* Runs the actions of all ranks by themselves, an action as soon as its rank is free and its input there. seconds[part]: what
 * a part takes on each stage; *span: when all is done (both may be NULL). KPAR_EINTERNAL unless all microbatches visit all
 * stages in order and nothing waits for ever. */
kpar_status kpar_schedule_prove(const kpar_schedule *schedule, int ranks, int chunks, int microbatches,
                                const double *seconds, double *span) KPAR_MUST_USE;

#endif
