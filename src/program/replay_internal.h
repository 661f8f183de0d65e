/* The state of a replay, shared by the replay and by the explanation of where it is stuck. */
#ifndef KPAR_PROGRAM_REPLAY_INTERNAL_H
#define KPAR_PROGRAM_REPLAY_INTERNAL_H

#include "program/replay.h"

enum { KPAR_NODE_AHEAD, KPAR_NODE_STARTED, KPAR_NODE_ENDED };

typedef struct kpar_replay_rank {
    int list, end, left; /* the list it is in, the index behind the list, instructions not ended */
    int head
        [KPAR_LANE_COUNT]; /* next instruction of each lane, or the one under way if it is not asynchronous; -1: none */
    bool busy;             /* a kernel runs */
    bool queued;           /* is to be visited */
    double sends_until, receives_until;
} kpar_replay_rank;

typedef struct kpar_replay_event {
    double seconds;
    size_t number;
    kpar_node node; /* ends */
} kpar_replay_event;

typedef struct kpar_replay_state {
    const kpar_replay_plan *plan;
    kpar_arena *arena;
    kpar_replay_rank *ranks;
    unsigned char ***progress; /* [list - first_list][rank][index] */
    int **arrived;             /* [list - first_list][join]: members that started it */
    int *queue;                /* ring of ranks to be visited */
    size_t queue_first, queue_length;
    kpar_replay_event *events;
    size_t n_events, events_capacity, numbers;
    double now;
} kpar_replay_state;

static inline unsigned char *kpar_replay_progress(const kpar_replay_state *s, kpar_node node)
{
    return &s->progress[node.list - s->plan->first_list][node.rank][node.index];
}

/* What the instruction waits for in its own list and has not ended, or -1. */
static inline int kpar_replay_unended_wait(const kpar_replay_state *s, kpar_node node)
{
    const kpar_instruction *in = &s->plan->programs[node.rank]->instructions[node.index];
    for (int i = 0; i < in->n_waits; i++)
        if (*kpar_replay_progress(s, (kpar_node){node.rank, node.list, in->waits[i]}) != KPAR_NODE_ENDED)
            return in->waits[i];
    return -1;
}

/* KPAR_OK if all ranks are through, else the error that names a circle of ranks. */
kpar_status kpar_replay_explain(const kpar_replay_state *s) KPAR_MUST_USE;

#endif
