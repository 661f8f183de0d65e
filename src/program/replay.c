/* The replay: visits ranks that may go on, and keeps what takes time in a heap. */
#include "program/replay_internal.h"

enum { NONE = -1 };

void kpar_list_range(const kpar_program *program, int list, int *first, int *end)
{
    *first = list == 0 ? 0 : (int)program->n_start;
    *end = list == 0 ? (int)program->n_start : (int)program->n_instructions;
}

static const kpar_instruction *instruction_at(const kpar_replay_state *s, kpar_node node)
{
    return &s->plan->programs[node.rank]->instructions[node.index];
}

static void visit_later(kpar_replay_state *s, int rank)
{
    kpar_replay_rank *r = &s->ranks[rank];
    if (r->queued) return;
    r->queued = true;
    s->queue[(s->queue_first + s->queue_length++) % (size_t)s->plan->n] = rank;
}

/* The heap: the earliest event first, of equal ones the one put in first. */
static bool before(const kpar_replay_event *a, const kpar_replay_event *b)
{
    return a->seconds != b->seconds ? a->seconds < b->seconds : a->number < b->number;
}

static void push_event(kpar_replay_state *s, double seconds, kpar_node node)
{
    size_t at = s->n_events;
    kpar_replay_event event = {.seconds = seconds, .number = s->numbers++, .node = node};
    KPAR_PUSH(s->events, s->n_events, s->events_capacity) = event;
    for (; at > 0 && before(&event, &s->events[(at - 1) / 2]); at = (at - 1) / 2)
        s->events[at] = s->events[(at - 1) / 2];
    s->events[at] = event;
}

static kpar_replay_event pop_event(kpar_replay_state *s)
{
    kpar_replay_event first = s->events[0], last = s->events[--s->n_events];
    size_t at = 0;
    for (size_t child = 1; child < s->n_events; child = 2 * at + 1) {
        if (child + 1 < s->n_events && before(&s->events[child + 1], &s->events[child])) child++;
        if (!before(&s->events[child], &last)) break;
        s->events[at] = s->events[child];
        at = child;
    }
    if (s->n_events > 0) s->events[at] = last;
    return first;
}

/* Goes to the lane's next instruction from `index` on. */
static void seek(kpar_replay_state *s, int rank, kpar_lane lane, int index)
{
    kpar_replay_rank *r = &s->ranks[rank];
    while (index < r->end && s->plan->programs[rank]->instructions[index].lane != lane) index++;
    r->head[lane] = index < r->end ? index : NONE;
}

static void begin_list(kpar_replay_state *s, int rank, int list)
{
    kpar_replay_rank *r = &s->ranks[rank];
    int first;
    kpar_list_range(s->plan->programs[rank], list, &first, &r->end);
    r->list = list;
    r->left = r->end - first;
    for (int lane = 0; lane < KPAR_LANE_COUNT; lane++) seek(s, rank, (kpar_lane)lane, first);
    if (s->plan->begins) s->plan->begins(s->plan->context, rank, list);
    visit_later(s, rank);
}

static void end_node(kpar_replay_state *s, kpar_node node)
{
    kpar_replay_rank *r = &s->ranks[node.rank];
    const kpar_instruction *in = instruction_at(s, node);
    *kpar_replay_progress(s, node) = KPAR_NODE_ENDED;
    if (s->plan->ends) s->plan->ends(s->plan->context, node, s->now);
    if (in->kind == KPAR_INSTRUCTION_KERNEL) r->busy = false;
    if (!kpar_instruction_is_asynchronous(in->kind)) seek(s, node.rank, in->lane, node.index + 1);
    r->left--;
    visit_later(s, node.rank);
}

static void end_after(kpar_replay_state *s, double seconds, kpar_node node)
{
    if (seconds > s->now)
        push_event(s, seconds, node);
    else
        end_node(s, node);
}

static void start_kernel(kpar_replay_state *s, kpar_node node)
{
    const kpar_replay_plan *plan = s->plan;
    double seconds =
        plan->kernel_seconds ? plan->kernel_seconds(plan->context, (kpar_ref){node.rank, node.index}) : 0;
    s->ranks[node.rank].busy = true;
    end_after(s, s->now + seconds, node);
}

static void pass_guard(kpar_replay_state *s, kpar_node node) { end_node(s, node); }

static double maximum(double a, double b) { return a > b ? a : b; }

/* A message moves when both ends are started and both ranks' ports are free. */
static void start_message(kpar_replay_state *s, kpar_node node)
{
    const kpar_replay_plan *plan = s->plan;
    kpar_ref other = plan->matches->of[node.rank][node.index].other;
    kpar_node peer = {other.rank, node.list, other.index};
    if (*kpar_replay_progress(s, peer) != KPAR_NODE_STARTED) return;
    bool sends = instruction_at(s, node)->kind == KPAR_INSTRUCTION_SEND;
    kpar_node send = sends ? node : peer, receive = sends ? peer : node;
    kpar_replay_rank *from = &s->ranks[send.rank], *to = &s->ranks[receive.rank];
    double begin = maximum(s->now, maximum(from->sends_until, to->receives_until));
    double seconds =
        plan->message_seconds ? plan->message_seconds(plan->context, (kpar_ref){send.rank, send.index}) : 0;
    from->sends_until = to->receives_until = begin + seconds;
    end_after(s, begin + seconds, send);
    end_after(s, begin + seconds, receive);
}

static void give_signal(kpar_replay_state *s, kpar_node node)
{
    const kpar_matches *matches = s->plan->matches;
    const kpar_match *match = &matches->of[node.rank][node.index];
    end_node(s, node);
    for (int i = match->first; i < match->first + match->n; i++) {
        kpar_node wait = {matches->waits[i].rank, node.list, matches->waits[i].index};
        if (*kpar_replay_progress(s, wait) == KPAR_NODE_STARTED) end_node(s, wait);
    }
}

static void start_wait(kpar_replay_state *s, kpar_node node)
{
    kpar_ref signal = s->plan->matches->of[node.rank][node.index].other;
    if (*kpar_replay_progress(s, (kpar_node){signal.rank, node.list, signal.index}) == KPAR_NODE_ENDED)
        end_node(s, node);
}

static void start_collective(kpar_replay_state *s, kpar_node node)
{
    const kpar_replay_plan *plan = s->plan;
    const kpar_matches *matches = plan->matches;
    int join = matches->of[node.rank][node.index].join;
    int first = matches->join_first[join], end = matches->join_first[join + 1];
    int *arrived = &s->arrived[node.list - plan->first_list][join];
    if (++*arrived < end - first) return;
    double seconds = plan->collective_seconds
                         ? plan->collective_seconds(plan->context, (kpar_ref){node.rank, node.index})
                         : 0;
    for (int i = first; i < end; i++)
        end_after(s, s->now + seconds,
                  (kpar_node){matches->joined[i].rank, node.list, matches->joined[i].index});
}

static void (*const starters[KPAR_INSTRUCTION_COUNT])(kpar_replay_state *, kpar_node) = {
    [KPAR_INSTRUCTION_KERNEL] = start_kernel,   [KPAR_INSTRUCTION_SEND] = start_message,
    [KPAR_INSTRUCTION_RECEIVE] = start_message, [KPAR_INSTRUCTION_SIGNAL] = give_signal,
    [KPAR_INSTRUCTION_WAIT] = start_wait,       [KPAR_INSTRUCTION_COLLECTIVE] = start_collective,
    [KPAR_INSTRUCTION_GUARD] = pass_guard,
};

static bool can_start(const kpar_replay_state *s, kpar_node node)
{
    const kpar_instruction *in = instruction_at(s, node);
    if (*kpar_replay_progress(s, node) != KPAR_NODE_AHEAD) return false;
    if (in->kind == KPAR_INSTRUCTION_KERNEL && s->ranks[node.rank].busy) return false;
    return kpar_replay_unended_wait(s, node) == NONE;
}

static kpar_status start(kpar_replay_state *s, kpar_node node)
{
    const kpar_instruction *in = instruction_at(s, node);
    *kpar_replay_progress(s, node) = KPAR_NODE_STARTED;
    if (s->plan->starts) KPAR_TRY(s->plan->starts(s->plan->context, node));
    if (kpar_instruction_is_asynchronous(in->kind)) seek(s, node.rank, in->lane, node.index + 1);
    starters[in->kind](s, node);
    return KPAR_OK;
}

/* Starts what can be started now, the comm lane first. */
static kpar_status visit(kpar_replay_state *s, int rank)
{
    static const kpar_lane lanes[] = {KPAR_LANE_COMM, KPAR_LANE_COMPUTE};
    kpar_replay_rank *r = &s->ranks[rank];
    for (size_t i = 0; i < sizeof lanes / sizeof lanes[0];) {
        kpar_node node = {rank, r->list, r->head[lanes[i]]};
        if (node.index == NONE || !can_start(s, node)) {
            i++;
            continue;
        }
        KPAR_TRY(start(s, node));
        i = 0;
    }
    if (r->left == 0 && r->list < s->plan->last_list) begin_list(s, rank, r->list + 1);
    return KPAR_OK;
}

static kpar_status run(kpar_replay_state *s)
{
    for (int rank = 0; rank < s->plan->n; rank++) begin_list(s, rank, s->plan->first_list);
    while (s->queue_length > 0 || s->n_events > 0) {
        for (; s->queue_length > 0;) {
            int rank = s->queue[s->queue_first];
            s->queue_first = (s->queue_first + 1) % (size_t)s->plan->n;
            s->queue_length--;
            s->ranks[rank].queued = false;
            KPAR_TRY(visit(s, rank));
        }
        if (s->n_events == 0) break;
        kpar_replay_event event = pop_event(s);
        s->now = event.seconds;
        end_node(s, event.node);
    }
    return kpar_replay_explain(s);
}

static void create_state(kpar_replay_state *s)
{
    const kpar_replay_plan *plan = s->plan;
    size_t lists = (size_t)(plan->last_list - plan->first_list + 1);
    s->arena = kpar_arena_create();
    s->ranks = kpar_arena_alloc(s->arena, (size_t)plan->n * sizeof *s->ranks);
    s->queue = kpar_arena_alloc(s->arena, (size_t)plan->n * sizeof *s->queue);
    s->progress = kpar_arena_alloc(s->arena, lists * sizeof *s->progress);
    s->arrived = kpar_arena_alloc(s->arena, lists * sizeof *s->arrived);
    for (size_t list = 0; list < lists; list++) {
        s->arrived[list] = kpar_arena_alloc(s->arena, (size_t)plan->matches->n_joins * sizeof **s->arrived);
        s->progress[list] = kpar_arena_alloc(s->arena, (size_t)plan->n * sizeof **s->progress);
        for (int rank = 0; rank < plan->n; rank++)
            s->progress[list][rank] = kpar_arena_alloc(s->arena, plan->programs[rank]->n_instructions);
    }
}

kpar_status kpar_replay(const kpar_replay_plan *plan)
{
    kpar_replay_state s = {.plan = plan};
    create_state(&s);
    kpar_status status = run(&s);
    kpar_free(s.events);
    kpar_arena_destroy(s.arena);
    return status;
}
