/* Vector clocks, kept only as long as somebody will still read them. */
#include "program/clocks.h"

#include <limits.h>
#include <string.h>

enum { LISTS = 3 };

/* A clock that others will take over, and how many of them there will be. */
typedef struct snapshot {
    unsigned *clock;
    int readers;
} snapshot;

/* What is known of an instruction before anything runs. */
typedef struct facts {
    int first_waiter
        [KPAR_LANE_COUNT]; /* index of the first instruction of the lane that waits for it; INT_MAX: none */
    int n_waiters;
} facts;

struct kpar_clocks {
    const kpar_program *const *programs;
    const kpar_matches *matches;
    int n;
    size_t length; /* entries of a clock */
    kpar_arena *arena;
    unsigned **free; /* clocks that nobody reads any more */
    size_t n_free, free_capacity;
    facts **facts;               /* [rank][index] */
    snapshot **snapshots[LISTS]; /* [list][rank][index] */
    snapshot *joins[LISTS];      /* [list][join] */
    unsigned **lanes;            /* [rank and lane] */
    unsigned **ended;            /* [rank]: all asynchronous instructions that have ended */
};

static size_t lane_entry(int rank, int lane) { return (size_t)rank * KPAR_LANE_COUNT + (size_t)lane; }

static const kpar_instruction *instruction_at(const kpar_clocks *c, kpar_node node)
{
    return &c->programs[node.rank]->instructions[node.index];
}

/* Position of the beginning of a list among everything the rank does. */
static unsigned list_position(const kpar_clocks *c, int rank, int list)
{
    const kpar_program *program = c->programs[rank];
    unsigned start = (unsigned)program->n_start, run = (unsigned)program->n_instructions - start;
    return list == 0 ? 1 : 2 + start + (unsigned)(list - 1) * (run + 1);
}

static unsigned position(const kpar_clocks *c, int rank, int list, int index)
{
    int first, end;
    kpar_list_range(c->programs[rank], list, &first, &end);
    return list_position(c, rank, list) + (unsigned)(index - first) + 1;
}

static unsigned *take_clock(kpar_clocks *c)
{
    if (c->n_free > 0) return c->free[--c->n_free];
    return kpar_arena_alloc(c->arena, c->length * sizeof(unsigned));
}

static void copy_clock(const kpar_clocks *c, unsigned *to, const unsigned *from)
{
    memcpy(to, from, c->length * sizeof *to);
}

static void join_clock(const kpar_clocks *c, unsigned *restrict into, const unsigned *restrict other)
{
    for (size_t i = 0; i < c->length; i++) into[i] = into[i] > other[i] ? into[i] : other[i];
}

static void keep(kpar_clocks *c, snapshot *kept, const unsigned *clock, int readers)
{
    if (readers == 0) return;
    kept->clock = take_clock(c);
    kept->readers = readers;
    copy_clock(c, kept->clock, clock);
}

/* A reader joins the snapshot into `into` (NULL: only lets go of it). */
static void read_snapshot(kpar_clocks *c, snapshot *kept, unsigned *into)
{
    if (into) join_clock(c, into, kept->clock);
    if (--kept->readers > 0) return;
    KPAR_PUSH(c->free, c->n_free, c->free_capacity) = kept->clock;
    kept->clock = NULL;
}

static snapshot *snapshot_of(const kpar_clocks *c, kpar_node node)
{
    if (instruction_at(c, node)->kind == KPAR_INSTRUCTION_COLLECTIVE)
        return &c->joins[node.list][c->matches->of[node.rank][node.index].join];
    return &c->snapshots[node.list][node.rank][node.index];
}

/* Later instructions of the rank that wait for it, whatever else reads its clock. */
static int waiters(const kpar_clocks *c, kpar_node node) { return c->facts[node.rank][node.index].n_waiters; }

void kpar_clocks_begins(kpar_clocks *c, int rank, int list)
{
    unsigned *clock = c->ended[rank];
    for (int lane = 0; lane < KPAR_LANE_COUNT; lane++) join_clock(c, clock, c->lanes[lane_entry(rank, lane)]);
    for (int lane = 0; lane < KPAR_LANE_COUNT; lane++)
        clock[lane_entry(rank, lane)] = list_position(c, rank, list);
    for (int lane = 0; lane < KPAR_LANE_COUNT; lane++) copy_clock(c, c->lanes[lane_entry(rank, lane)], clock);
}

static void join_collective(kpar_clocks *c, kpar_node node, const unsigned *clock)
{
    snapshot *joined = snapshot_of(c, node);
    int readers = waiters(c, node) + 1;
    if (!joined->clock) {
        keep(c, joined, clock, readers);
        return;
    }
    join_clock(c, joined->clock, clock);
    joined->readers += readers;
}

void kpar_clocks_starts(kpar_clocks *c, kpar_node node)
{
    const kpar_instruction *in = instruction_at(c, node);
    unsigned *clock = c->lanes[lane_entry(node.rank, (int)in->lane)];
    for (int i = 0; i < in->n_waits; i++)
        read_snapshot(c, snapshot_of(c, (kpar_node){node.rank, node.list, in->waits[i]}), clock);
    clock[lane_entry(node.rank, (int)in->lane)] = position(c, node.rank, node.list, node.index);
    /* A send's clock is read by the receive and at its own end, a receive's at its end. */
    if (in->kind == KPAR_INSTRUCTION_SEND) keep(c, snapshot_of(c, node), clock, waiters(c, node) + 2);
    if (in->kind == KPAR_INSTRUCTION_RECEIVE) keep(c, snapshot_of(c, node), clock, waiters(c, node) + 1);
    if (in->kind == KPAR_INSTRUCTION_COLLECTIVE) join_collective(c, node, clock);
}

static void end_synchronous(kpar_clocks *c, kpar_node node)
{
    const kpar_instruction *in = instruction_at(c, node);
    unsigned *clock = c->lanes[lane_entry(node.rank, (int)in->lane)];
    const kpar_match *match = &c->matches->of[node.rank][node.index];
    if (in->kind == KPAR_INSTRUCTION_WAIT)
        read_snapshot(c, snapshot_of(c, (kpar_node){match->other.rank, node.list, match->other.index}),
                      clock);
    int remote = in->kind == KPAR_INSTRUCTION_SIGNAL ? match->n : 0;
    keep(c, snapshot_of(c, node), clock, waiters(c, node) + remote);
}

void kpar_clocks_ends(kpar_clocks *c, kpar_node node)
{
    const kpar_instruction *in = instruction_at(c, node);
    if (!kpar_instruction_is_asynchronous(in->kind)) {
        end_synchronous(c, node);
        return;
    }
    snapshot *own = snapshot_of(c, node);
    if (in->kind ==
        KPAR_INSTRUCTION_RECEIVE) { /* that the send has ended too says nothing: it may be eager */
        kpar_ref send = c->matches->of[node.rank][node.index].other;
        read_snapshot(c, snapshot_of(c, (kpar_node){send.rank, node.list, send.index}), own->clock);
    }
    read_snapshot(c, own, c->ended[node.rank]);
}

static bool is_reached(const kpar_clocks *c, kpar_node node, int lane, int index, const unsigned *clock)
{
    return clock[lane_entry(node.rank, lane)] >= position(c, node.rank, node.list, index);
}

bool kpar_clocks_ordered(const kpar_clocks *c, kpar_node earlier, kpar_node now)
{
    const kpar_instruction *in = instruction_at(c, earlier);
    const unsigned *clock = c->lanes[lane_entry(now.rank, (int)instruction_at(c, now)->lane)];
    if (!kpar_instruction_is_asynchronous(in->kind))
        return is_reached(c, earlier, (int)in->lane, earlier.index, clock);
    unsigned next_list = list_position(c, earlier.rank, earlier.list + 1);
    for (int lane = 0; lane < KPAR_LANE_COUNT; lane++) {
        int waiter = c->facts[earlier.rank][earlier.index].first_waiter[lane];
        if (waiter != INT_MAX && is_reached(c, earlier, lane, waiter, clock)) return true;
        if (clock[lane_entry(earlier.rank, lane)] >= next_list) return true;
    }
    return false;
}

static void collect_facts(kpar_clocks *c, int rank)
{
    const kpar_program *program = c->programs[rank];
    c->facts[rank] = kpar_arena_alloc(c->arena, program->n_instructions * sizeof **c->facts);
    for (size_t i = 0; i < program->n_instructions; i++)
        for (int lane = 0; lane < KPAR_LANE_COUNT; lane++) c->facts[rank][i].first_waiter[lane] = INT_MAX;
    for (size_t i = 0; i < program->n_instructions; i++) {
        const kpar_instruction *in = &program->instructions[i];
        for (int w = 0; w < in->n_waits; w++) {
            facts *f = &c->facts[rank][in->waits[w]];
            f->n_waiters++;
            if (f->first_waiter[in->lane] == INT_MAX) f->first_waiter[in->lane] = (int)i;
        }
    }
}

kpar_clocks *kpar_clocks_create(const kpar_program *const *programs, int n, const kpar_matches *matches)
{
    kpar_clocks *c = kpar_alloc_zeroed(1, sizeof *c);
    *c = (kpar_clocks){
        .programs = programs, .matches = matches, .n = n, .length = (size_t)n * KPAR_LANE_COUNT};
    c->arena = kpar_arena_create();
    c->facts = kpar_arena_alloc(c->arena, (size_t)n * sizeof *c->facts);
    c->lanes = kpar_arena_alloc(c->arena, c->length * sizeof *c->lanes);
    c->ended = kpar_arena_alloc(c->arena, (size_t)n * sizeof *c->ended);
    for (size_t i = 0; i < c->length; i++) c->lanes[i] = take_clock(c);
    for (int rank = 0; rank < n; rank++) {
        c->ended[rank] = take_clock(c);
        collect_facts(c, rank);
    }
    for (int list = 0; list < LISTS; list++) {
        c->joins[list] = kpar_arena_alloc(c->arena, (size_t)matches->n_joins * sizeof **c->joins);
        c->snapshots[list] = kpar_arena_alloc(c->arena, (size_t)n * sizeof **c->snapshots);
        for (int rank = 0; rank < n; rank++)
            c->snapshots[list][rank] =
                kpar_arena_alloc(c->arena, programs[rank]->n_instructions * sizeof ***c->snapshots);
    }
    return c;
}

void kpar_clocks_destroy(kpar_clocks *c)
{
    kpar_free(c->free);
    kpar_arena_destroy(c->arena);
    kpar_free(c);
}
