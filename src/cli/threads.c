/* How many threads a rank computes with. */
#include "cli/job.h"

#include "train/defaults.h"

/* Reproducible runs use one unless told otherwise: another number may change bits. */
kpar_status kpar_job_choose_threads(kpar_comm *comm, const kpar_settings *settings, int *threads)
{
    *threads = settings->threads_per_rank ? settings->threads_per_rank : 1;
    return settings->threads_per_rank || settings->reproducible ? KPAR_OK
                                                                : kpar_default_threads(comm, threads);
}
