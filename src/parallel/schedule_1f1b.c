/* 1F1B: as many forwards as stages follow, then one forward, one backward in turn. Narayanan et al., "Memory-efficient
 * pipeline-parallel DNN training" (2021), PipeDream-Flush. */
#include "parallel/schedule.h"

void kpar_schedule_1f1b(const kpar_schedule_shape *shape, kpar_action *actions)
{
    const int following = shape->stages - 1 - shape->stage;
    const int ahead = following < shape->microbatches ? following : shape->microbatches;
    int forward = 0;
    while (forward < ahead) *actions++ = (kpar_action){KPAR_FORWARD, forward++};
    for (int backward = 0; backward < shape->microbatches; backward++) {
        if (forward < shape->microbatches) *actions++ = (kpar_action){KPAR_FORWARD, forward++};
        *actions++ = (kpar_action){KPAR_BACKWARD, backward};
    }
}
