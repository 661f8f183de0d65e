/* The executor: program x device x communicator. Prepares everything once; a run replays the list, allocates
 * nothing and decides nothing.
 *
 * Each lane has a position in the list. The compute lane runs kernels on the calling thread; the comm lane starts
 * messages and collectives as soon as what they wait for has ended, any number under way. It belongs to the calling
 * thread too, which after each kernel and in every wait moves what is under way; or to a progress thread, which
 * then makes all calls of the communicator while a run lasts. Every run ends with everything of its own done. */
#ifndef KPAR_RUN_EXECUTOR_H
#define KPAR_RUN_EXECUTOR_H

#include "comm/comm.h"
#include "device/device.h"

typedef struct kpar_executor kpar_executor;

typedef struct kpar_executor_options {
    /* A wait longer than this is KPAR_ESTALL, naming rank, instruction and whom it waits for; 0: 60. */
    double stall_seconds;
    /* Not 0: at each turn a lane that may go on is picked at random (Philox), and what is under way between ranks
     * moves only when it is picked. */
    uint64_t lane_seed;
    /* The comm lane has a thread of its own, asleep between runs; its kernels take one thread. KPAR_EUNSUPPORTED
     * where the communicator does not move on any thread. With random lanes: not. */
    bool progress_thread;
} kpar_executor_options;

/* Programs of one rank that share an arena (train, evaluate, predict): state lies at the same offsets. Collective, with
 * the same programs in the same order on all ranks; if one fails all do, with its message. The programs outlive the
 * executor. Creates the communicator's window. */
kpar_status kpar_executor_create(kpar_comm *comm, const kpar_device_class *device,
                                 const kpar_device_options *device_options,
                                 const kpar_program *const *programs, int n_programs,
                                 const kpar_executor_options *options,
                                 kpar_executor **executor) KPAR_MUST_USE;
void kpar_executor_destroy(kpar_executor *executor); /* NULL: nothing. Not collective */

/* Runs the first n_start instructions of a program. As with kpar_executor_run all ranks do, and none begins a list of
 * another program before its peers are in it only if that program's messages and flags order it: in doubt, a barrier. */
kpar_status kpar_executor_start(kpar_executor *executor, int program) KPAR_MUST_USE;

/* Runs the rest once. KPAR_ENUMERIC: a guard was not finite; the run has ended as any other, but for the kernels behind the
 * guard, and the next run may begin. Another error names layer and instruction; after it only memory and destroy make
 * sense. */
kpar_status kpar_executor_run(kpar_executor *executor, int program) KPAR_MUST_USE;

/* Own memory at a place; valid between runs. */
void *kpar_executor_memory(kpar_executor *executor, const kpar_place *place);

/* As kpar_executor_run, and looks at what every kernel before the update reads and writes: *source is the first instruction
 * of this rank whose result is not finite though nothing was so that another instruction or rank made in this run; -1 if
 * there is none. Slow. For messages, after a run that ended with KPAR_ENUMERIC. */
kpar_status kpar_executor_examine(kpar_executor *executor, int program, int *source) KPAR_MUST_USE;

typedef struct kpar_executor_times {
    double total_seconds;   /* in kpar_executor_run */
    double compute_seconds; /* of that, in kernels on the calling thread */
    double wait_seconds;    /* of that, with nothing to go on with before other ranks do */
    size_t sent_bytes;      /* messages sent and peers' memory read */
} kpar_executor_times;
kpar_executor_times kpar_executor_times_get(const kpar_executor *executor);

/* Of a program: how often it ran, and the seconds that instruction `index`, a kernel, took in all runs together. */
uint64_t kpar_executor_runs(const kpar_executor *executor, int program);
double kpar_executor_kernel_seconds(const kpar_executor *executor, int program, int index);

#endif
