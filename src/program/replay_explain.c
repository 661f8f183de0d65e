/* Why a replay is stuck: from a rank that is not through, go from what is blocked to what it is blocked by until
 * something comes again; that is a circle, and two of its ranks are named. */
#include "program/replay_internal.h"

enum { NONE = -1 };

static const kpar_instruction *instruction_at(const kpar_replay_state *s, kpar_node node)
{
    return &s->plan->programs[node.rank]->instructions[node.index];
}

/* Something of the rank's current list that has not ended: a started one, which cannot end, if there is one. */
static kpar_node unended(const kpar_replay_state *s, int rank)
{
    const kpar_replay_rank *r = &s->ranks[rank];
    int first, end, found = NONE;
    kpar_list_range(s->plan->programs[rank], r->list, &first, &end);
    for (int i = end - 1; i >= first; i--) {
        int progress = *kpar_replay_progress(s, (kpar_node){rank, r->list, i});
        if (progress == KPAR_NODE_STARTED) return (kpar_node){rank, r->list, i};
        if (progress == KPAR_NODE_AHEAD) found = i;
    }
    return (kpar_node){rank, r->list, found};
}

/* What keeps `node`, which has not started, from starting. */
static kpar_node obstacle(const kpar_replay_state *s, kpar_node node)
{
    const kpar_replay_rank *r = &s->ranks[node.rank];
    if (r->list < node.list) return unended(s, node.rank);
    int head = r->head[instruction_at(s, node)->lane];
    if (head != node.index) return (kpar_node){node.rank, node.list, head};
    int wait = kpar_replay_unended_wait(s, node);
    return (kpar_node){node.rank, node.list, wait};
}

static kpar_ref missing_member(const kpar_replay_state *s, kpar_node node)
{
    const kpar_matches *matches = s->plan->matches;
    int i = matches->join_first[matches->of[node.rank][node.index].join];
    while (*kpar_replay_progress(s, (kpar_node){matches->joined[i].rank, node.list,
                                                matches->joined[i].index}) != KPAR_NODE_AHEAD)
        i++;
    return matches->joined[i];
}

/* What `node`, which has not ended, needs next. */
static kpar_node blocker(const kpar_replay_state *s, kpar_node node)
{
    if (*kpar_replay_progress(s, node) == KPAR_NODE_AHEAD) return obstacle(s, node);
    bool joins = instruction_at(s, node)->kind == KPAR_INSTRUCTION_COLLECTIVE;
    kpar_ref other = joins ? missing_member(s, node) : s->plan->matches->of[node.rank][node.index].other;
    return (kpar_node){other.rank, node.list, other.index};
}

static bool same(kpar_node a, kpar_node b)
{
    return a.rank == b.rank && a.list == b.list && a.index == b.index;
}

/* A node that is on the circle: two walk, one twice as fast, until they meet. */
static kpar_node on_circle(const kpar_replay_state *s, kpar_node from)
{
    kpar_node slow = from, fast = from;
    do {
        slow = blocker(s, slow);
        fast = blocker(s, blocker(s, fast));
    } while (!same(slow, fast));
    return slow;
}

/* Goes on to the next node of the circle that is started and needs another rank. */
static kpar_node next_that_needs_a_peer(const kpar_replay_state *s, kpar_node node)
{
    kpar_node start = node;
    do node = blocker(s, node);
    while (!same(node, start) && blocker(s, node).rank == node.rank);
    return node;
}

static kpar_status deadlock(const kpar_replay_state *s, kpar_node from)
{
    kpar_node a = next_that_needs_a_peer(s, on_circle(s, from)), b = next_that_needs_a_peer(s, a);
    char a_text[KPAR_REF_TEXT], b_text[KPAR_REF_TEXT];
    return kpar_fail(
        KPAR_EINTERNAL, "programs: deadlock: %s waits for rank %d, while %s waits for rank %d",
        kpar_ref_text(a_text, s->plan->programs, (kpar_ref){a.rank, a.index}), blocker(s, a).rank,
        kpar_ref_text(b_text, s->plan->programs, (kpar_ref){b.rank, b.index}), blocker(s, b).rank);
}

kpar_status kpar_replay_explain(const kpar_replay_state *s)
{
    for (int rank = 0; rank < s->plan->n; rank++)
        if (s->ranks[rank].left > 0) return deadlock(s, unended(s, rank));
    return KPAR_OK;
}
