/* What kpar_train and the C API choose where the user does not say. */
#ifndef KPAR_TRAIN_DEFAULTS_H
#define KPAR_TRAIN_DEFAULTS_H

#include "comm/comm.h"
#include "parallel/mesh.h"

/* Microbatches of a replica: 1, in a pipeline 4 a stage, as its rows allow. */
int kpar_default_microbatches(const kpar_mesh *mesh, int64_t batch_size);

/* Whether ranks of every node reach each other's memory. Not collective. */
bool kpar_default_windows(const kpar_comm *comm);

typedef enum kpar_progress_wish {
    KPAR_PROGRESS_AUTO,
    KPAR_PROGRESS_ON,
    KPAR_PROGRESS_OFF
} kpar_progress_wish;
extern const char *const kpar_progress_wishes[]; /* their names: "auto", "on", "off", NULL */

/* Of a rank. */
typedef struct kpar_threads {
    int compute;   /* threads that kernels of the compute lane take */
    bool progress; /* another one for the comm lane: kpar_executor_options.progress_thread */
} kpar_threads;

/* Threads of this rank: together its share of the cores that it and the other ranks of its node may use, at least 1 of
 * them to compute with. `compute` is what the user wants, 0: anything. AUTO: a progress thread where the rank has
 * 4 cores or more, of which one is left, and where the communicator moves on any thread; none without peers. Collective. */
kpar_status kpar_default_threads(kpar_comm *comm, int compute, kpar_progress_wish wish,
                                 kpar_threads *threads) KPAR_MUST_USE;

#endif
