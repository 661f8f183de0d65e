/* How many threads a rank has, and how they wait for work. */
#include "cli/job.h"

#include "train/cores.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

/* Reproducible runs compute with one unless told otherwise: another number may change bits. */
kpar_status kpar_job_choose_threads(kpar_comm *comm, const kpar_settings *settings, kpar_threads *threads)
{
    const int compute = settings->threads_per_rank ? settings->threads_per_rank
                        : settings->reproducible   ? 1
                                                   : 0;
    return kpar_default_threads(comm, compute, (kpar_progress_wish)settings->progress_thread, threads);
}

const char *kpar_threads_text(kpar_arena *arena, const kpar_threads *threads)
{
    return kpar_arena_printf(arena, "%d thread%s%s", threads->compute, threads->compute == 1 ? "" : "s",
                             threads->progress ? " and a progress thread" : "");
}

static const char *take_text(kpar_arena *arena, kpar_text *text)
{
    const char *copy = kpar_arena_strdup(arena, kpar_text_get(text));
    kpar_text_clear(text);
    return copy;
}

kpar_status kpar_job_look_at_cores(kpar_job *job)
{
    kpar_cores cores;
    kpar_text text = {0};
    KPAR_TRY(kpar_cores_gather(job->comm, &cores));
    kpar_cores_print(&cores, &text);
    job->cores = take_text(job->arena, &text);
    job->crowded = kpar_cores_crowded(&cores, &text) ? take_text(job->arena, &text) : NULL;
    kpar_cores_clear(&cores);
    return KPAR_OK;
}

static int own_processors(void)
{
    cpu_set_t own;
    CPU_ZERO(&own);
    return sched_getaffinity(0, sizeof own, &own) == 0 ? CPU_COUNT(&own) : 0;
}

/* What users of OpenMP's run-time libraries say of waiting is theirs to say. */
static bool is_said(void)
{
    return getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT") || getenv("KMP_BLOCKTIME");
}

void kpar_job_share_processors(const kpar_settings *settings, int ranks, char **argv)
{
    const int computing = settings->threads_per_rank, processors = own_processors();
    const int64_t all = (int64_t)ranks * (computing + (settings->progress_thread == KPAR_PROGRESS_ON));
    if (computing < 2 || ranks < 2 || processors == 0 || all <= processors || is_said()) return;
    if (setenv("OMP_WAIT_POLICY", "passive", 1) == 0) execv("/proc/self/exe", argv);
}
