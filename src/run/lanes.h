/* One run of a list. Each lane has a position in it, and belongs to one thread. */
#ifndef KPAR_RUN_LANES_H
#define KPAR_RUN_LANES_H

#include "run/executor_internal.h"

enum { KPAR_RUN_NONE = -1 };

/* Of the thread that runs the lane. */
typedef struct kpar_lane_state {
    _Alignas(64) int at;   /* position in the list's lane */
    int guard;             /* behind which its kernels do nothing; KPAR_RUN_NONE: they run */
    double kernel_seconds; /* in its kernels */
} kpar_lane_state;

typedef struct kpar_run {
    kpar_executor *executor;
    kpar_loaded *loaded;
    kpar_run_list *list;
    kpar_progress_thread *progress; /* runs the comm lane; NULL: all lanes are the calling thread's */
    kpar_lane_state lanes[KPAR_LANE_COUNT];
    atomic_int left;   /* instructions not ended */
    atomic_int failed; /* the lane that failed first, which ends the run of both threads; KPAR_RUN_NONE */
    int seen_left;     /* `left` in the calling thread's last turn: whether the other one gets on */
    double idle_since; /* of the calling thread; 0: not idle */
} kpar_run;

/* The instruction that a lane comes to next, or KPAR_RUN_NONE. */
int kpar_run_head(const kpar_run *r, int lane);

/* KPAR_ENUMERIC, naming it, where a guard was not finite in a run that has ended. */
kpar_status kpar_run_guarded(const kpar_run *r) KPAR_MUST_USE;

/* *went is set to true where something has gone on. */

/* The comm lane as far as it can go. */
kpar_status kpar_run_comm(kpar_run *r, bool *went) KPAR_MUST_USE;

/* One instruction of the compute lane, if it can go. */
kpar_status kpar_run_compute(kpar_run *r, bool *went) KPAR_MUST_USE;

/* Moves what is under way: the comm lane's thread does. */
kpar_status kpar_run_move(kpar_run *r, bool *went) KPAR_MUST_USE;

/* One instruction of a random lane of those that can go, or a move of what is under way. */
kpar_status kpar_run_random(kpar_run *r, bool *went) KPAR_MUST_USE;

#endif
