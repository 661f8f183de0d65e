/* A run from beginning to end. One thread takes turns with all lanes and moves what is under way; or the progress thread
 * runs the comm lane and moves, and the calling thread runs the compute lane: they meet in `ended`, `left` and
 * `failed`. Nothing here allocates. */
#include "base/clock.h"
#include "run/lanes.h"

#include <sched.h>

/* --- two threads --- */

static bool is_running(const kpar_run *r)
{
    return atomic_load(&r->left) > 0 && atomic_load(&r->failed) == KPAR_RUN_NONE;
}

/* Ends the run for both threads; whether no other lane has failed before. */
static bool fails_first(kpar_run *r, int lane)
{
    int first = KPAR_RUN_NONE;
    return atomic_compare_exchange_strong(&r->failed, &first, lane) || first == lane;
}

/* What the progress thread does in a run. It goes on to the end of all: peers rely on its moves. */
static kpar_status run_comm_lane(void *context)
{
    kpar_run *r = context;
    while (is_running(r)) {
        bool went = false;
        kpar_status status = kpar_run_comm(r, &went);
        if (status == KPAR_OK) status = kpar_run_move(r, &went);
        if (status != KPAR_OK) return fails_first(r, KPAR_LANE_COMM) ? status : KPAR_OK;
        if (!went) sched_yield();
    }
    return KPAR_OK;
}

/* The status of a run that the calling thread ended with `status`: that of the lane that failed first. */
static kpar_status finish(kpar_run *r, kpar_status status)
{
    if (!r->progress) return status;
    if (status != KPAR_OK && !fails_first(r, KPAR_LANE_COMPUTE)) status = KPAR_OK;
    const kpar_status other = kpar_progress_thread_end(r->progress);
    return status != KPAR_OK ? status : other;
}

/* --- the calling thread --- */

static kpar_status common_turn(kpar_run *r, bool *went)
{
    KPAR_TRY(kpar_run_comm(r, went));
    KPAR_TRY(kpar_run_compute(r, went));
    return kpar_run_move(r, went);
}

/* Beside a progress thread: that one's getting on is no idleness. */
static kpar_status own_turn(kpar_run *r, bool *went)
{
    const int left = atomic_load(&r->left);
    *went = left != r->seen_left;
    r->seen_left = left;
    return kpar_run_compute(r, went);
}

static void end_idleness(kpar_run *r)
{
    if (r->idle_since == 0) return;
    r->executor->times.wait_seconds += kpar_seconds() - r->idle_since;
    r->idle_since = 0;
}

/* Says what all lanes wait for, once the other thread has let go of its own. */
static kpar_status stalled(kpar_run *r, double seconds)
{
    int heads[KPAR_LANE_COUNT];
    if (r->progress) {
        if (!fails_first(r, KPAR_LANE_COMPUTE)) return KPAR_ESTALL; /* the other's message is the run's */
        KPAR_TRY(kpar_progress_thread_end(r->progress));
    }
    for (int lane = 0; lane < KPAR_LANE_COUNT; lane++) heads[lane] = kpar_run_head(r, lane);
    return kpar_executor_stalled(r->executor, r->loaded, heads, seconds);
}

/* Two threads of a rank may share a core. */
static kpar_status idle(kpar_run *r)
{
    double now = kpar_seconds();
    if (r->idle_since == 0) r->idle_since = now;
    if (now - r->idle_since > r->executor->options.stall_seconds) return stalled(r, now - r->idle_since);
    if (r->progress)
        sched_yield();
    else
        kpar_comm_yield(r->executor->comm);
    return KPAR_OK;
}

static kpar_status run_own_lanes(kpar_run *r)
{
    kpar_status (*const turn)(kpar_run *, bool *) = r->progress                      ? own_turn
                                                    : r->executor->options.lane_seed ? kpar_run_random
                                                                                     : common_turn;
    while (is_running(r)) {
        bool went = false;
        KPAR_TRY(turn(r, &went));
        if (went)
            end_idleness(r);
        else
            KPAR_TRY(idle(r));
    }
    return KPAR_OK;
}

/* A list without a comm lane is the calling thread's, which also listens to other ranks then. */
kpar_status kpar_executor_replay(kpar_executor *executor, kpar_loaded *loaded, kpar_run_list *list)
{
    kpar_run r = {.executor = executor, .loaded = loaded, .list = list, .seen_left = list->end - list->first};
    double start = kpar_seconds();
    atomic_init(&r.left, r.seen_left);
    atomic_init(&r.failed, KPAR_RUN_NONE);
    for (int lane = 0; lane < KPAR_LANE_COUNT; lane++) r.lanes[lane].guard = KPAR_RUN_NONE;
    if (list->n_lane[KPAR_LANE_COMM] > 0) r.progress = executor->progress;
    list->runs++;
    for (int i = list->first; i < list->end; i++)
        atomic_store_explicit(&loaded->ended[i], false, memory_order_relaxed);
    if (r.progress) kpar_progress_thread_begin(r.progress, run_comm_lane, &r);
    kpar_status status = finish(&r, run_own_lanes(&r));
    end_idleness(&r);
    executor->times.compute_seconds += r.lanes[KPAR_LANE_COMPUTE].kernel_seconds;
    if (!r.progress) executor->times.compute_seconds += r.lanes[KPAR_LANE_COMM].kernel_seconds;
    executor->times.total_seconds += kpar_seconds() - start;
    executor->times.sent_bytes += list->moved_bytes;
    return status == KPAR_OK ? kpar_run_guarded(&r) : status;
}
