/* Defaults that depend on the machine and the mesh. */
#include "train/defaults.h"

#include "train/cores.h"

/* Four a stage keep the bubble below a fifth; a replica's rows may not go round. */
int kpar_default_microbatches(const kpar_mesh *mesh, int64_t batch_size)
{
    const int64_t rows = batch_size / mesh->data, wish = mesh->pipeline > 1 ? 4 * (int64_t)mesh->pipeline : 1;
    return (int)(rows < 1 ? 1 : rows < wish ? rows : wish);
}

bool kpar_default_windows(const kpar_comm *comm)
{
    for (int a = 0; a < kpar_comm_size(comm); a++)
        for (int b = a + 1; b < kpar_comm_size(comm); b++)
            if (kpar_comm_node(comm, a) == kpar_comm_node(comm, b) && !kpar_comm_shares(comm, a, b))
                return false;
    return true;
}

/* --- threads --- */

static kpar_status count_cores(kpar_comm *comm, int *count)
{
    kpar_cores cores;
    KPAR_TRY(kpar_cores_gather(comm, &cores));
    const double share = kpar_cores_share(&cores, kpar_comm_rank(comm));
    *count = share < 1 ? 1 : (int)(share + 1e-6);
    kpar_cores_clear(&cores);
    return KPAR_OK;
}

const char *const kpar_progress_wishes[] = {"auto", "on", "off", NULL};

/* A core of several may wait for messages; of few it had better compute. */
static bool wants_progress_thread(const kpar_comm *comm, kpar_progress_wish wish, int compute, int cores)
{
    enum { MANY = 4 };
    if (wish != KPAR_PROGRESS_AUTO || kpar_comm_size(comm) == 1)
        return wish == KPAR_PROGRESS_ON && kpar_comm_size(comm) > 1;
    return cores >= MANY && compute < cores && kpar_comm_moves_on_any_thread(comm);
}

kpar_status kpar_default_threads(kpar_comm *comm, int compute, kpar_progress_wish wish, kpar_threads *threads)
{
    int cores = 1;
    KPAR_TRY(count_cores(comm, &cores));
    threads->progress = wants_progress_thread(comm, wish, compute, cores);
    threads->compute = compute ? compute : cores > 1 && threads->progress ? cores - 1 : cores;
    return KPAR_OK;
}
