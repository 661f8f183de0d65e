/* Defaults that depend on the machine and the mesh. */
#include "train/defaults.h"

#include "base/memory.h"

#include <sched.h>
#include <stdio.h>

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

/* The lowest processor of those that share a core with this one: hyperthreads count once. */
static int first_of_core(int processor)
{
    char path[96];
    int first = processor;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", processor);
    FILE *file = fopen(path, "r");
    if (!file) return processor;
    if (fscanf(file, "%d", &first) != 1) first = processor;
    fclose(file);
    return first;
}

static void own_cores(cpu_set_t *cores)
{
    cpu_set_t allowed;
    CPU_ZERO(cores);
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET((size_t)i, &allowed)) CPU_SET((size_t)first_of_core(i), cores);
}

/* Each core is divided by the ranks of this node that may use it. */
static double share_of_cores(const kpar_comm *comm, const cpu_set_t *all)
{
    const int me = kpar_comm_rank(comm), node = kpar_comm_node(comm, me);
    double share = 0;
    for (size_t core = 0; core < CPU_SETSIZE; core++) {
        int users = 0;
        if (!CPU_ISSET(core, &all[me])) continue;
        for (int rank = 0; rank < kpar_comm_size(comm); rank++)
            if (kpar_comm_node(comm, rank) == node && CPU_ISSET(core, &all[rank])) users++;
        share += 1.0 / users;
    }
    return share;
}

static kpar_status count_cores(kpar_comm *comm, int *cores)
{
    cpu_set_t own, *all = kpar_alloc((size_t)kpar_comm_size(comm) * sizeof *all);
    own_cores(&own);
    kpar_status status = kpar_comm_all_gather(comm, &own, all, sizeof own);
    const double share = status == KPAR_OK ? share_of_cores(comm, all) : 1;
    *cores = share < 1 ? 1 : (int)(share + 1e-6);
    kpar_free(all);
    return status;
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
