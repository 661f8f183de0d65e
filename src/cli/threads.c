/* How many threads a rank computes with, and how they wait for work. */
#include "cli/job.h"

#include "train/defaults.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

/* Reproducible runs use one unless told otherwise: another number may change bits. */
kpar_status kpar_job_choose_threads(kpar_comm *comm, const kpar_settings *settings, int *threads)
{
    *threads = settings->threads_per_rank ? settings->threads_per_rank : 1;
    return settings->threads_per_rank || settings->reproducible ? KPAR_OK
                                                                : kpar_default_threads(comm, threads);
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
    const int threads = settings->threads_per_rank, processors = own_processors();
    if (threads < 2 || ranks < 2 || processors == 0 || (int64_t)ranks * threads <= processors || is_said())
        return;
    if (setenv("OMP_WAIT_POLICY", "passive", 1) == 0) execv("/proc/self/exe", argv);
}
