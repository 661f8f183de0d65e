/* What the lanes of a run do: execute instructions whose waits have ended, and move what is under way. Nothing here
 * allocates. */
#include "run/lanes.h"
#include "base/clock.h"
#include "base/philox.h"

static const kpar_instruction *instruction_at(const kpar_run *r, int index)
{
    return &r->loaded->program->instructions[index];
}

int kpar_run_head(const kpar_run *r, int lane)
{
    const int at = r->lanes[lane].at;
    return at < r->list->n_lane[lane] ? r->list->lanes[lane][at] : KPAR_RUN_NONE;
}

static bool can_go(const kpar_run *r, int lane)
{
    int index = kpar_run_head(r, lane);
    if (index == KPAR_RUN_NONE) return false;
    const kpar_instruction *in = instruction_at(r, index);
    for (int i = 0; i < in->n_waits; i++)
        if (!atomic_load_explicit(&r->loaded->ended[in->waits[i]], memory_order_acquire)) return false;
    if (in->kind != KPAR_INSTRUCTION_WAIT) return true;
    return kpar_comm_flag_get(r->executor->comm, in->peer, r->list->flag_base + in->channel) >= r->list->runs;
}

static void set_ended(kpar_run *r, int index)
{
    atomic_store_explicit(&r->loaded->ended[index], true, memory_order_release);
    atomic_fetch_sub(&r->left, 1);
}

static kpar_status fail_in(const kpar_run *r, int index, kpar_status status)
{
    const kpar_instruction *in = instruction_at(r, index);
    return kpar_fail_in(status, "layer '%s': instruction %d (%s '%s')", in->layer, index,
                        kpar_instruction_name(in->kind), in->what);
}

static kpar_status run_kernel(kpar_run *r, int index)
{
    kpar_executor *executor = r->executor;
    const kpar_lane lane = instruction_at(r, index)->lane;
    if (r->lanes[lane].guard != KPAR_RUN_NONE) return KPAR_OK;
    const bool examine = executor->examines && lane == KPAR_LANE_COMPUTE &&
                         executor->source == KPAR_RUN_NONE && kpar_may_be_source(r->loaded, index);
    double start = kpar_seconds();
    kpar_status status = kpar_executor_run_kernel(executor, r->loaded, index);
    double seconds = kpar_seconds() - start;
    r->lanes[lane].kernel_seconds += seconds;
    r->loaded->kernel_seconds[index] += seconds;
    if (status == KPAR_OK && examine && !kpar_outputs_are_finite(r->loaded, index)) executor->source = index;
    return status;
}

static size_t collective_elements(const kpar_run *r, const kpar_instruction *in)
{
    size_t total = 0;
    if (in->collective == KPAR_COLLECTIVE_ALL_REDUCE)
        return in->places[0].bytes / kpar_dtype_bytes(in->dtype);
    for (int i = 0; i < r->loaded->program->groups[in->group].n; i++) total += in->counts[i];
    return total;
}

static kpar_status start_request(kpar_run *r, int index, kpar_request **request)
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

static kpar_status start_asynchronous(kpar_run *r, int index)
{
    kpar_executor *executor = r->executor;
    kpar_under_way *started = &executor->under_way[executor->n_under_way];
    KPAR_TRY(start_request(r, index, &started->request));
    started->index = index;
    executor->n_under_way++;
    return KPAR_OK;
}

static kpar_status execute(kpar_run *r, int index)
{
    const kpar_instruction *in = instruction_at(r, index);
    if (kpar_instruction_is_asynchronous(in->kind)) return start_asynchronous(r, index);
    if (in->kind == KPAR_INSTRUCTION_KERNEL) KPAR_TRY(run_kernel(r, index));
    if (in->kind == KPAR_INSTRUCTION_SIGNAL)
        kpar_comm_flag_set(r->executor->comm, r->list->flag_base + in->channel, r->list->runs);
    if (in->kind == KPAR_INSTRUCTION_GUARD && !kpar_guard_passes(r->loaded, index))
        r->lanes[in->lane].guard = index;
    set_ended(r, index);
    return KPAR_OK;
}

kpar_status kpar_run_guarded(const kpar_run *r)
{
    for (int lane = 0; lane < KPAR_LANE_COUNT; lane++)
        if (r->lanes[lane].guard != KPAR_RUN_NONE)
            return fail_in(r, r->lanes[lane].guard, kpar_fail(KPAR_ENUMERIC, "the value is not finite"));
    return KPAR_OK;
}

/* One instruction of a lane that can go. */
static kpar_status go(kpar_run *r, int lane)
{
    int index = kpar_run_head(r, lane);
    kpar_status status = execute(r, index);
    r->lanes[lane].at++;
    return status == KPAR_OK ? status : fail_in(r, index, status);
}

kpar_status kpar_run_move(kpar_run *r, bool *went)
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

kpar_status kpar_run_comm(kpar_run *r, bool *went)
{
    for (; can_go(r, KPAR_LANE_COMM); *went = true) KPAR_TRY(go(r, KPAR_LANE_COMM));
    return KPAR_OK;
}

kpar_status kpar_run_compute(kpar_run *r, bool *went)
{
    if (!can_go(r, KPAR_LANE_COMPUTE)) return KPAR_OK;
    *went = true;
    return go(r, KPAR_LANE_COMPUTE);
}

kpar_status kpar_run_random(kpar_run *r, bool *went)
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
    if (chosen == MOVE) return kpar_run_move(r, went);
    *went = true;
    return go(r, chosen);
}
