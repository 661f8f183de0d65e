/* One run of a list. Each lane has a position; a turn lets lanes go that can, then moves what is under way. Nothing
 * here allocates. */
#include "base/clock.h"
#include "base/philox.h"
#include "run/executor_internal.h"

#include <string.h>

enum { NONE = -1 };

typedef struct replay {
    kpar_executor *executor;
    kpar_loaded *loaded;
    kpar_run_list *list;
    int at[KPAR_LANE_COUNT];      /* positions in the list's lanes */
    int guarded[KPAR_LANE_COUNT]; /* the guard behind which the lane's kernels do nothing, NONE: they run */
    int left;                     /* instructions not ended */
    double idle_since;            /* 0: not idle */
} replay;

static const kpar_instruction *instruction_at(const replay *r, int index)
{
    return &r->loaded->program->instructions[index];
}

/* The instruction that the lane comes to next. */
static int head(const replay *r, int lane)
{
    return r->at[lane] < r->list->n_lane[lane] ? r->list->lanes[lane][r->at[lane]] : NONE;
}

static bool can_go(const replay *r, int lane)
{
    int index = head(r, lane);
    if (index == NONE) return false;
    const kpar_instruction *in = instruction_at(r, index);
    for (int i = 0; i < in->n_waits; i++)
        if (!r->loaded->ended[in->waits[i]]) return false;
    if (in->kind != KPAR_INSTRUCTION_WAIT) return true;
    return kpar_comm_flag_get(r->executor->comm, in->peer, r->list->flag_base + in->channel) >= r->list->runs;
}

static void set_ended(replay *r, int index)
{
    r->loaded->ended[index] = true;
    r->left--;
}

static kpar_status fail_in(const replay *r, int index, kpar_status status)
{
    const kpar_instruction *in = instruction_at(r, index);
    return kpar_fail_in(status, "layer '%s': instruction %d (%s '%s')", in->layer, index,
                        kpar_instruction_name(in->kind), in->what);
}

static kpar_status run_kernel(replay *r, int index)
{
    kpar_executor *executor = r->executor;
    if (r->guarded[instruction_at(r, index)->lane] != NONE) return KPAR_OK;
    const bool examine =
        executor->examines && executor->source == NONE && kpar_may_be_source(r->loaded, index);
    double start = kpar_seconds();
    kpar_status status = executor->class->run(
        executor->device, r->loaded->kernels[instruction_at(r, index)->kernel], r->loaded->places[index]);
    executor->times.compute_seconds += kpar_seconds() - start;
    if (status == KPAR_OK && examine && !kpar_outputs_are_finite(r->loaded, index)) executor->source = index;
    return status;
}

static size_t collective_elements(const replay *r, const kpar_instruction *in)
{
    size_t total = 0;
    if (in->collective == KPAR_COLLECTIVE_ALL_REDUCE)
        return in->places[0].bytes / kpar_dtype_bytes(in->dtype);
    for (int i = 0; i < r->loaded->program->groups[in->group].n; i++) total += in->counts[i];
    return total;
}

static kpar_status start_request(replay *r, int index, kpar_request **request)
{
    kpar_comm *comm = r->executor->comm;
    const kpar_instruction *in = instruction_at(r, index);
    void *const *places = r->loaded->places[index];
    if (in->kind == KPAR_INSTRUCTION_SEND)
        return kpar_comm_start_send(comm, places[0], in->places[0].bytes, in->peer, in->channel, request);
    if (in->kind == KPAR_INSTRUCTION_RECEIVE)
        return kpar_comm_start_receive(comm, places[0], in->places[0].bytes, in->peer, in->channel, request);
    return kpar_comm_start_collective(comm, r->loaded->groups[in->group], in->collective, in->reduction,
                                      in->dtype, places[0], places[in->n_places - 1], in->counts,
                                      collective_elements(r, in), request);
}

static kpar_status start_asynchronous(replay *r, int index)
{
    kpar_executor *executor = r->executor;
    kpar_under_way *started = &executor->under_way[executor->n_under_way];
    KPAR_TRY(start_request(r, index, &started->request));
    started->index = index;
    executor->n_under_way++;
    return KPAR_OK;
}

static kpar_status execute(replay *r, int index)
{
    const kpar_instruction *in = instruction_at(r, index);
    if (kpar_instruction_is_asynchronous(in->kind)) return start_asynchronous(r, index);
    if (in->kind == KPAR_INSTRUCTION_KERNEL) KPAR_TRY(run_kernel(r, index));
    if (in->kind == KPAR_INSTRUCTION_SIGNAL)
        kpar_comm_flag_set(r->executor->comm, r->list->flag_base + in->channel, r->list->runs);
    if (in->kind == KPAR_INSTRUCTION_GUARD && !kpar_guard_passes(r->loaded, index))
        r->guarded[in->lane] = index;
    set_ended(r, index);
    return KPAR_OK;
}

/* A run with a guard that was not finite. */
static kpar_status tell_guarded(const replay *r)
{
    for (int lane = 0; lane < KPAR_LANE_COUNT; lane++)
        if (r->guarded[lane] != NONE)
            return fail_in(r, r->guarded[lane], kpar_fail(KPAR_ENUMERIC, "the value is not finite"));
    return KPAR_OK;
}

/* One instruction of a lane that can go. */
static kpar_status go(replay *r, int lane)
{
    int index = head(r, lane);
    kpar_status status = execute(r, index);
    r->at[lane]++;
    return status == KPAR_OK ? status : fail_in(r, index, status);
}

/* Moves what is under way. *went: something ended. */
static kpar_status move(replay *r, bool *went)
{
    kpar_executor *executor = r->executor;
    bool done;
    if (executor->n_under_way == 0) return kpar_comm_progress(executor->comm, NULL, &done);
    for (int i = 0; i < executor->n_under_way;) {
        kpar_under_way *u = &executor->under_way[i];
        done = false;
        kpar_status status = kpar_comm_progress(executor->comm, &u->request, &done);
        if (status != KPAR_OK) return fail_in(r, u->index, status);
        if (!done) {
            i++;
            continue;
        }
        set_ended(r, u->index);
        *u = executor->under_way[--executor->n_under_way];
        *went = true;
    }
    return KPAR_OK;
}

/* The comm lane as far as it can go, one instruction of the compute lane, then what is under way. */
static kpar_status turn(replay *r, bool *went)
{
    for (; can_go(r, KPAR_LANE_COMM); *went = true) KPAR_TRY(go(r, KPAR_LANE_COMM));
    if (can_go(r, KPAR_LANE_COMPUTE)) {
        KPAR_TRY(go(r, KPAR_LANE_COMPUTE));
        *went = true;
    }
    return move(r, went);
}

/* One instruction of a random lane of those that can go, or a move of what is under way. */
static kpar_status random_turn(replay *r, bool *went)
{
    enum { MOVE = KPAR_LANE_COUNT };
    kpar_executor *executor = r->executor;
    int choices[KPAR_LANE_COUNT + 1], n = 0;
    for (int lane = 0; lane < KPAR_LANE_COUNT; lane++)
        if (can_go(r, lane)) choices[n++] = lane;
    if (n == 0 || executor->n_under_way > 0) choices[n++] = MOVE;
    uint64_t rank = (uint64_t)kpar_comm_rank(executor->comm);
    int chosen =
        choices[kpar_philox_word(executor->options.lane_seed, rank, executor->turns++) % (uint32_t)n];
    if (chosen == MOVE) return move(r, went);
    *went = true;
    return go(r, chosen);
}

static void end_idleness(replay *r)
{
    if (r->idle_since == 0) return;
    r->executor->times.wait_seconds += kpar_seconds() - r->idle_since;
    r->idle_since = 0;
}

static kpar_status idle(replay *r)
{
    double now = kpar_seconds();
    if (r->idle_since == 0) r->idle_since = now;
    if (now - r->idle_since > r->executor->options.stall_seconds) {
        int heads[KPAR_LANE_COUNT];
        for (int lane = 0; lane < KPAR_LANE_COUNT; lane++) heads[lane] = head(r, lane);
        return kpar_executor_stalled(r->executor, r->loaded, heads, now - r->idle_since);
    }
    kpar_comm_yield(r->executor->comm);
    return KPAR_OK;
}

static kpar_status run_all(replay *r)
{
    while (r->left > 0) {
        bool went = false;
        KPAR_TRY(r->executor->options.lane_seed ? random_turn(r, &went) : turn(r, &went));
        if (went)
            end_idleness(r);
        else
            KPAR_TRY(idle(r));
    }
    return KPAR_OK;
}

kpar_status kpar_executor_replay(kpar_executor *executor, kpar_loaded *loaded, kpar_run_list *list)
{
    replay r = {.executor = executor, .loaded = loaded, .list = list, .left = list->end - list->first};
    double start = kpar_seconds();
    for (int lane = 0; lane < KPAR_LANE_COUNT; lane++) r.guarded[lane] = NONE;
    list->runs++;
    if (r.left > 0) memset(loaded->ended + list->first, 0, (size_t)r.left * sizeof *loaded->ended);
    kpar_status status = run_all(&r);
    end_idleness(&r);
    executor->times.total_seconds += kpar_seconds() - start;
    executor->times.sent_bytes += list->moved_bytes;
    return status == KPAR_OK ? tell_guarded(&r) : status;
}
