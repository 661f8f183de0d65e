/* Direct, through shared windows, one-sided: every member says that its data are there; each sums its own
 * part, reading the peers' memory in place; each copies the other parts from their owners. No turn of a
 * peer is needed in between. */
#include "comm/algorithms.h"

enum { READY, REDUCED, DONE, FLAGS };

static void signal_flag(kpar_steps *steps, int flag) { kpar_steps_add(steps, KPAR_STEP_SIGNAL)->flag = flag; }

static void wait_for_all(kpar_steps *steps, const kpar_collective_shape *shape, int flag)
{
    for (int k = 1; k < shape->n; k++) { /* each begins with another peer */
        kpar_step *step = kpar_steps_add(steps, KPAR_STEP_WAIT);
        step->peer = (shape->me + k) % shape->n;
        step->flag = flag;
    }
}

static kpar_range in_window(const kpar_collective_shape *shape, int part, int member, int term,
                            const void *context)
{
    (void)context;
    return (kpar_range){
        .member = member, .tree_slot = term, .first = shape->offsets[part], .count = shape->counts[part]};
}

static void copy_parts(kpar_steps *steps, const kpar_collective_shape *shape)
{
    for (int k = 1; k < shape->n; k++) {
        const int owner = (shape->me + k) % shape->n;
        kpar_step *step = kpar_steps_add(steps, KPAR_STEP_COPY);
        step->range = in_window(shape, owner, shape->me, 0, NULL);
        step->n_sources = 1;
        step->sources = kpar_arena_alloc(steps->arena, sizeof *step->sources);
        step->sources[0] = in_window(shape, owner, owner, 0, NULL);
    }
}

kpar_status kpar_direct(kpar_steps *steps, const kpar_collective_shape *shape)
{
    const bool reduces = shape->collective != KPAR_COLLECTIVE_ALL_GATHER,
               gathers = shape->collective != KPAR_COLLECTIVE_REDUCE_SCATTER;
    steps->n_flags = FLAGS;
    if (reduces) {
        signal_flag(steps, READY);
        wait_for_all(steps, shape, READY);
        kpar_reduce_terms(steps, shape, shape->me, in_window, NULL);
    }
    if (gathers) {
        signal_flag(steps, REDUCED);
        wait_for_all(steps, shape, REDUCED);
        copy_parts(steps, shape);
    }
    signal_flag(steps, DONE); /* nobody overwrites what is still read */
    wait_for_all(steps, shape, DONE);
    return KPAR_OK;
}
