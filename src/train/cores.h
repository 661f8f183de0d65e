/* Which cores the ranks of each node may run on, and who shares them. */
#ifndef KPAR_TRAIN_CORES_H
#define KPAR_TRAIN_CORES_H

#include "base/text.h"
#include "comm/comm.h"

#include <sched.h>

/* Of each rank; a core has the number of its first processor. */
typedef struct kpar_cores {
    int ranks;
    int *nodes;
    cpu_set_t *masks;
} kpar_cores;

/* From the affinity masks of all ranks; on failure nothing is left. Collective. */
kpar_status kpar_cores_gather(kpar_comm *comm, kpar_cores *cores) KPAR_MUST_USE;
void kpar_cores_clear(kpar_cores *cores);

/* A rank's share: each core is divided by the ranks of its node that may use it. */
double kpar_cores_share(const kpar_cores *cores, int rank);

/* "cores 0-3" where all ranks have the same; else "cores 0-1 (rank 0), 2-3 (ranks 1-2), ..." */
void kpar_cores_print(const kpar_cores *cores, kpar_text *text);

/* Whether a rank's share is less than a core; then a line that says which ranks are on which cores. */
bool kpar_cores_crowded(const kpar_cores *cores, kpar_text *text);

#endif
