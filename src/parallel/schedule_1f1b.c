/* 1F1B: as many forwards as stages follow, then one forward, one backward in turn. Narayanan et al., "Memory-efficient
 * pipeline-parallel DNN training" (2021), PipeDream-Flush. */
#include "parallel/schedule.h"

int kpar_schedule_1f1b(const kpar_schedule_shape *shape, kpar_action *actions)
{
    const int following = shape->ranks - 1 - shape->rank;
    const int ahead = following < shape->microbatches ? following : shape->microbatches;
    kpar_action *at = actions;
    int forward = 0;
    while (forward < ahead) *at++ = (kpar_action){KPAR_FORWARD, forward++, shape->rank};
    for (int backward = 0; backward < shape->microbatches; backward++) {
        if (forward < shape->microbatches) *at++ = (kpar_action){KPAR_FORWARD, forward++, shape->rank};
        *at++ = (kpar_action){KPAR_BACKWARD, backward, shape->rank};
    }
    return (int)(at - actions);
}
