/* Direct exchange by messages: every member sends each part to its owner, who sums in member order (or
 * along the tree) and sends the sum to all. Two turns whatever the number of members. */
#include "comm/algorithms.h"

static void message(kpar_steps *steps, kpar_step_kind kind, int peer, kpar_range range)
{
    kpar_step *step = kpar_steps_add(steps, kind);
    step->peer = peer;
    step->range = range;
}

static kpar_range part_of(const kpar_collective_shape *shape, int part, int term)
{
    return (kpar_range){
        .member = shape->me, .tree_slot = term, .first = shape->offsets[part], .count = shape->counts[part]};
}

/* A peer's term of the own part lies in scratch, one after the other; the own ones where they are. */
static kpar_range received(const kpar_collective_shape *shape, int part, int member, int term,
                           const void *context)
{
    (void)context;
    if (member == shape->me) return part_of(shape, part, term);
    size_t slot = (size_t)term;
    for (int i = 0; i < member; i++) slot += i == shape->me ? 0 : (size_t)kpar_terms_of(shape, i);
    return (kpar_range){.member = shape->me,
                        .space = KPAR_SPACE_SCRATCH,
                        .first = slot * shape->counts[part],
                        .count = shape->counts[part]};
}

static void reduce(kpar_steps *steps, const kpar_collective_shape *shape)
{
    for (int k = 1; k < shape->n; k++) {
        const int peer = (shape->me + shape->n - k) % shape->n;
        for (int t = 0; t < kpar_terms_of(shape, peer); t++) {
            kpar_range range = received(shape, shape->me, peer, t, NULL);
            if (range.first + range.count > steps->scratch) steps->scratch = range.first + range.count;
            message(steps, KPAR_STEP_RECEIVE, peer, range);
        }
    }
    for (int k = 1; k < shape->n; k++) {
        const int peer = (shape->me + k) % shape->n;
        for (int t = 0; t < kpar_terms_of(shape, shape->me); t++)
            message(steps, KPAR_STEP_SEND, peer, part_of(shape, peer, t));
    }
    kpar_reduce_terms(steps, shape, shape->me, received, NULL);
}

static void gather(kpar_steps *steps, const kpar_collective_shape *shape)
{
    for (int k = 1; k < shape->n; k++) {
        const int peer = (shape->me + shape->n - k) % shape->n;
        message(steps, KPAR_STEP_RECEIVE, peer, part_of(shape, peer, 0));
    }
    for (int k = 1; k < shape->n; k++)
        message(steps, KPAR_STEP_SEND, (shape->me + k) % shape->n, part_of(shape, shape->me, 0));
}

kpar_status kpar_exchange(kpar_steps *steps, const kpar_collective_shape *shape)
{
    if (shape->collective != KPAR_COLLECTIVE_ALL_GATHER) reduce(steps, shape);
    if (shape->collective != KPAR_COLLECTIVE_REDUCE_SCATTER) gather(steps, shape);
    return KPAR_OK;
}
