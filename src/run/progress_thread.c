/* The progress thread: parked, called to work once a run, parked again. */
#include "run/progress_thread.h"

#include "base/memory.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

typedef enum progress_state { PARKED, AT_WORK, LEAVING } progress_state;

struct kpar_progress_thread {
    pthread_t thread;
    pthread_mutex_t lock; /* around leaving PARKED, which a sleeper must not miss */
    pthread_cond_t called;
    atomic_int state;
    kpar_progress_thread_work *work;
    void *context;
    kpar_status status;  /* of the last work */
    const char *message; /* the thread's own, which lasts while it is parked */
};

/* Runs follow each other closely: a short while in a hurry, then asleep. */
static progress_state wait_for_call(kpar_progress_thread *p)
{
    enum { HURRY = 100 };
    for (int turn = 0; turn < HURRY && atomic_load(&p->state) == PARKED; turn++) sched_yield();
    pthread_mutex_lock(&p->lock);
    while (atomic_load(&p->state) == PARKED) pthread_cond_wait(&p->called, &p->lock);
    pthread_mutex_unlock(&p->lock);
    return (progress_state)atomic_load(&p->state);
}

static void *serve(void *argument)
{
    kpar_progress_thread *p = argument;
    while (wait_for_call(p) == AT_WORK) {
        p->status = p->work(p->context);
        p->message = kpar_error_message();
        atomic_store(&p->state, PARKED);
    }
    return NULL;
}

static void call(kpar_progress_thread *p, progress_state state)
{
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->state, state);
    pthread_cond_signal(&p->called);
    pthread_mutex_unlock(&p->lock);
}

/* Signals are for the application's threads. */
static int create_deaf(kpar_progress_thread *p)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&p->thread, NULL, serve, p);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

static void release(kpar_progress_thread *p)
{
    pthread_cond_destroy(&p->called);
    pthread_mutex_destroy(&p->lock);
    kpar_free(p);
}

kpar_status kpar_progress_thread_create(kpar_progress_thread **progress)
{
    kpar_progress_thread *p = kpar_alloc_zeroed(1, sizeof *p);
    atomic_init(&p->state, PARKED);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->called, NULL);
    const int error = create_deaf(p);
    if (error) release(p);
    *progress = error ? NULL : p;
    return error ? kpar_fail(KPAR_ENOMEM, "the progress thread cannot be started: %s", strerror(error))
                 : KPAR_OK;
}

void kpar_progress_thread_destroy(kpar_progress_thread *progress)
{
    if (!progress) return;
    call(progress, LEAVING);
    pthread_join(progress->thread, NULL);
    release(progress);
}

void kpar_progress_thread_begin(kpar_progress_thread *progress, kpar_progress_thread_work *work,
                                void *context)
{
    progress->work = work;
    progress->context = context;
    call(progress, AT_WORK);
}

kpar_status kpar_progress_thread_end(kpar_progress_thread *progress)
{
    while (atomic_load(&progress->state) != PARKED) sched_yield();
    return progress->status == KPAR_OK ? KPAR_OK : kpar_fail(progress->status, "%s", progress->message);
}
