/* GPipe: all forward, then all backward. Huang et al., "GPipe: efficient training of giant neural networks using
 * pipeline parallelism" (2019). */
#include "parallel/schedule.h"

int kpar_schedule_gpipe(const kpar_schedule_shape *shape, kpar_action *actions)
{
    for (int m = 0; m < shape->microbatches; m++) {
        actions[m] = (kpar_action){KPAR_FORWARD, m, shape->rank};
        actions[shape->microbatches + m] = (kpar_action){KPAR_BACKWARD, m, shape->rank};
    }
    return 2 * shape->microbatches;
}
