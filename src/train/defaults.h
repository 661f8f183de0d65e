/* What kpar_train and the C API choose where the user does not say. */
#ifndef KPAR_TRAIN_DEFAULTS_H
#define KPAR_TRAIN_DEFAULTS_H

#include "comm/comm.h"
#include "parallel/mesh.h"

/* Microbatches of a replica: 1, in a pipeline 4 a stage, as its rows allow. */
int kpar_default_microbatches(const kpar_mesh *mesh, int64_t batch_size);

/* Whether ranks of every node reach each other's memory. Not collective. */
bool kpar_default_windows(const kpar_comm *comm);

/* Threads of this rank: its share of the cores that it and the other ranks of its node may use, at least 1. Collective. */
kpar_status kpar_default_threads(kpar_comm *comm, int *threads) KPAR_MUST_USE;

#endif
