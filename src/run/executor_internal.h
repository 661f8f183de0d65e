/* What the files of the executor share. */
#ifndef KPAR_RUN_EXECUTOR_INTERNAL_H
#define KPAR_RUN_EXECUTOR_INTERNAL_H

#include "run/executor.h"
#include "run/progress_thread.h"

#include <stdatomic.h>

/* One of a program's two lists: the start or the run. */
typedef struct kpar_run_list {
    int first, end;
    int *lanes[KPAR_LANE_COUNT]; /* indices of each lane's instructions */
    int n_lane[KPAR_LANE_COUNT];
    int flag_base;      /* the list's flag 0 among the window's flags */
    uint64_t runs;      /* begun: what its signals set and its waits wait for */
    size_t moved_bytes; /* in one run, on this rank's account */
} kpar_run_list;

enum { KPAR_LIST_START, KPAR_LIST_RUN, KPAR_LISTS };

/* A program ready to run. */
typedef struct kpar_loaded {
    const kpar_program *program;
    kpar_kernel **kernels[KPAR_LANE_COUNT]; /* [device][kernel]; NULL: no lane of the device runs it */
    void ***places;                         /* [instruction][place] */
    int *groups;                            /* the communicator's number of each group */
    atomic_bool *ended;     /* [instruction]: in this run, with release order after all that it wrote */
    double *kernel_seconds; /* [instruction]: of all runs */
    kpar_run_list lists[KPAR_LISTS];
} kpar_loaded;

/* An asynchronous instruction that is under way. */
typedef struct kpar_under_way {
    kpar_request *request;
    int index;
} kpar_under_way;

struct kpar_executor {
    kpar_comm *comm;
    const kpar_device_class *class;
    kpar_device *devices[KPAR_LANE_COUNT]; /* see kpar_executor_device_of */
    int n_devices;
    kpar_progress_thread *progress; /* runs the comm lane; NULL: the calling thread does */
    kpar_executor_options options;
    kpar_arena *arena; /* of bookkeeping */
    void *memory;      /* own window */
    kpar_loaded *programs;
    int n_programs;
    kpar_under_way *under_way;
    int n_under_way;
    uint64_t turns; /* for random lanes */
    bool examines;  /* each kernel of the run */
    int source;     /* the first instruction found by that, -1: none */
    kpar_executor_times times;
};

/* A device is one thread's: there is one a lane beside a progress thread, else one for all lanes. */
static inline int kpar_executor_device_of(const kpar_executor *executor, kpar_lane lane)
{
    return executor->n_devices > 1 ? (int)lane : 0;
}

/* Runs a kernel instruction, on the device of its lane. */
static inline kpar_status kpar_executor_run_kernel(const kpar_executor *executor, const kpar_loaded *loaded,
                                                   int index)
{
    const kpar_instruction *in = &loaded->program->instructions[index];
    const int device = kpar_executor_device_of(executor, in->lane);
    return executor->class->run(executor->devices[device], loaded->kernels[device][in->kernel],
                                loaded->places[index]);
}

/* Runs a list once, from beginning to end. */
kpar_status kpar_executor_replay(kpar_executor *executor, kpar_loaded *loaded,
                                 kpar_run_list *list) KPAR_MUST_USE;

/* Makes the groups of all ranks' programs known to the communicator. Collective. */
kpar_status kpar_executor_make_groups(kpar_executor *executor) KPAR_MUST_USE;

/* KPAR_ESTALL with what the rank waits for. heads[lane]: the instruction at which the lane stands, or -1. */
kpar_status kpar_executor_stalled(const kpar_executor *executor, const kpar_loaded *loaded,
                                  const int heads[KPAR_LANE_COUNT], double seconds) KPAR_MUST_USE;

/* finite.c */
bool kpar_guard_passes(const kpar_loaded *loaded, int index);
/* Asked before a kernel of the run: whether values that are not finite in its outputs would come from it, that is, none are
 * among what it reads but those that were there before the run. Never of the update or the comm lane. */
bool kpar_may_be_source(const kpar_loaded *loaded, int index);
bool kpar_outputs_are_finite(const kpar_loaded *loaded, int index);

#endif
