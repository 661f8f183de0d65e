/* Threads of a rank: a range of items in contiguous parts, one a thread. */
#ifndef KPAR_DEVICE_CPU_PARALLEL_H
#define KPAR_DEVICE_CPU_PARALLEL_H

#include <stdint.h>

/* Handles items first <= i < last; `worker` < threads is a number of its own for each part that runs at once. */
typedef void (*kpar_parallel_part)(void *context, int worker, int64_t first, int64_t last);

/* Calls `part` for parts that together are 0 <= i < items. What an item computes must not depend on its part. */
void kpar_parallel(int threads, int64_t items, kpar_parallel_part part, void *context);

/* Numbers below the normal range are zero, on this thread and the ones it computes with; and the number of threads
 * that libraries use for it is `threads`. Cheap when nothing changed. */
void kpar_parallel_enter(int threads);

#endif
