/* A thread that works while its owner works, one piece of work at a time. */
#ifndef KPAR_RUN_PROGRESS_THREAD_H
#define KPAR_RUN_PROGRESS_THREAD_H

#include "base/status.h"

typedef struct kpar_progress_thread kpar_progress_thread;
typedef kpar_status kpar_progress_thread_work(void *context);

kpar_status kpar_progress_thread_create(kpar_progress_thread **progress) KPAR_MUST_USE;
void kpar_progress_thread_destroy(kpar_progress_thread *progress); /* NULL: nothing. It is not at work */

/* Begins work(context) on the thread; allocates nothing. What the caller wrote before is visible to the work. */
void kpar_progress_thread_begin(kpar_progress_thread *progress, kpar_progress_thread_work *work,
                                void *context);

/* Waits until the work has returned, as often as one likes. What the work wrote is visible then; its status, with its
 * message as this thread's. */
kpar_status kpar_progress_thread_end(kpar_progress_thread *progress) KPAR_MUST_USE;

#endif
