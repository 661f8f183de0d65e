/* ZB-H1: 1F1B whose gradients of weights wait. What earlier stages need goes first; the weights' part of a microbatch comes as
 * many microbatches later as stages lie ahead, so that no rank has more microbatches under way than the first one, and what
 * is left of it fills the time in which the pipeline drains. Qi et al., "Zero bubble pipeline parallelism" (2023). */
#include "parallel/schedule.h"

int kpar_schedule_zb_h1(const kpar_schedule_shape *shape, kpar_action *actions)
{
    const int following = shape->ranks - 1 - shape->rank, lag = shape->rank;
    const int ahead = following < shape->microbatches ? following : shape->microbatches;
    kpar_action *at = actions;
    int forward = 0, weight = 0;
    while (forward < ahead) *at++ = (kpar_action){KPAR_FORWARD, forward++, shape->rank};
    for (int backward = 0; backward < shape->microbatches; backward++) {
        if (forward < shape->microbatches) *at++ = (kpar_action){KPAR_FORWARD, forward++, shape->rank};
        *at++ = (kpar_action){KPAR_BACKWARD, backward, shape->rank};
        if (weight + lag <= backward) *at++ = (kpar_action){KPAR_BACKWARD_WEIGHT, weight++, shape->rank};
    }
    while (weight < shape->microbatches) *at++ = (kpar_action){KPAR_BACKWARD_WEIGHT, weight++, shape->rank};
    return (int)(at - actions);
}
