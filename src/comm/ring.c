/* Ring: reduce-scatter around the ring, then all-gather. Bandwidth-optimal: 2 (n - 1) / n of the data
 * crosses each link. Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of
 * workstations" (2009). */
#include "comm/algorithms.h"

static kpar_range part_of(const kpar_collective_shape *shape, int part)
{
    part = ((part % shape->n) + shape->n) % shape->n;
    return (kpar_range){.member = shape->me, .first = shape->offsets[part], .count = shape->counts[part]};
}

static int next(const kpar_collective_shape *shape) { return (shape->me + 1) % shape->n; }
static int previous(const kpar_collective_shape *shape) { return (shape->me + shape->n - 1) % shape->n; }

static void send(kpar_steps *steps, const kpar_collective_shape *shape, int part)
{
    kpar_step *step = kpar_steps_add(steps, KPAR_STEP_SEND);
    step->peer = next(shape);
    step->range = part_of(shape, part);
}

static void receive(kpar_steps *steps, const kpar_collective_shape *shape, kpar_range range)
{
    kpar_step *step = kpar_steps_add(steps, KPAR_STEP_RECEIVE);
    step->peer = previous(shape);
    step->range = range;
}

/* In turn k part me - 1 - k goes on to the next member, part me - 2 - k comes and is added; the own part
 * comes last. */
static void reduce_scatter(kpar_steps *steps, const kpar_collective_shape *shape)
{
    for (int k = 0; k < shape->n - 1; k++) {
        const kpar_range own = part_of(shape, shape->me - 2 - k);
        const kpar_range scratch = {.member = shape->me, .space = KPAR_SPACE_SCRATCH, .count = own.count};
        if (own.count > steps->scratch) steps->scratch = own.count;
        send(steps, shape, shape->me - 1 - k);
        receive(steps, shape, scratch);
        kpar_step *step = kpar_steps_add(steps, KPAR_STEP_REDUCE);
        step->range = own;
        step->n_sources = 2;
        step->sources = kpar_arena_alloc(steps->arena, 2 * sizeof *step->sources);
        step->sources[0] = scratch;
        step->sources[1] = own;
    }
}

static void all_gather(kpar_steps *steps, const kpar_collective_shape *shape)
{
    for (int k = 0; k < shape->n - 1; k++) {
        send(steps, shape, shape->me - k);
        receive(steps, shape, part_of(shape, shape->me - 1 - k));
    }
}

kpar_status kpar_ring(kpar_steps *steps, const kpar_collective_shape *shape)
{
    if (shape->collective != KPAR_COLLECTIVE_ALL_GATHER) reduce_scatter(steps, shape);
    if (shape->collective != KPAR_COLLECTIVE_REDUCE_SCATTER) all_gather(steps, shape);
    return KPAR_OK;
}
