/* Runs one reference case on a mesh and compares everything Keras wrote down: predictions, evaluation, the logs of each
 * epoch, and every variable of the saved file. */
#ifndef KPAR_CASE_RUNNER_H
#define KPAR_CASE_RUNNER_H

#include "comm/comm.h"
#include "parallel/mesh.h"

typedef struct kpar_case_options {
    const char *folder; /* of the case */
    const char *output; /* where the trained file goes */
    kpar_mesh mesh;
    int microbatches, leaves, zero;
    const char *schedule; /* NULL: the default */
    int virtual_stages;
    int recompute; /* kpar_recompute */
    const char *device;
    const char *choice;
    const char *without_passes;
    int64_t split_vocabulary;
    bool split_features, no_windows, progress_thread;
    int64_t steps; /* check after so many steps; 0: at the end */
    uint64_t lane_seed;
} kpar_case_options;

/* Collective; every rank calls it. KPAR_EDATA says what differs most. *worst (may be NULL): the largest difference as a share
 * of its tolerance, on rank 0. */
kpar_status kpar_case_run(kpar_comm *comm, const kpar_case_options *options, double *worst) KPAR_MUST_USE;

/* The same with the ranks as threads of this process. */
kpar_status kpar_case_run_local(const kpar_case_options *options, double *worst) KPAR_MUST_USE;

/* "1x2x1 m4 gpipe zero1" into text. */
void kpar_case_title(const kpar_case_options *options, char *text, size_t capacity);

#endif
