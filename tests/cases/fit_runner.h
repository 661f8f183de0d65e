/* Fits a model with the ranks as threads of this process and keeps what comes out of it. */
#ifndef KPAR_FIT_RUNNER_H
#define KPAR_FIT_RUNNER_H

#include "train/trainer.h"

typedef struct kpar_fit_run {
    const char *model, *data; /* files */
    const char *config;       /* in place of the model's; NULL: its own */
    const char *output;       /* where the trained file goes; NULL: nowhere */
    kpar_plan_options plan;
    int64_t epochs; /* shuffled; 0: no training */
    uint64_t lane_seed;
    bool progress_thread;
} kpar_fit_run;

enum { KPAR_FIT_LOGS = 8 };

/* Of rank 0. */
typedef struct kpar_fit_result {
    double logs[KPAR_FIT_LOGS]; /* of an evaluation of all rows at the end, in order */
    size_t n_logs;
    kpar_array predictions; /* of all rows, first output; to be destroyed */
} kpar_fit_result;

/* The first failure of any rank, with its message. */
kpar_status kpar_fit_run_local(const kpar_fit_run *run, kpar_fit_result *result) KPAR_MUST_USE;

#endif
