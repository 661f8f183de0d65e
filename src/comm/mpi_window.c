/* Windows of the transport `mpi`: each rank's segment holds its flags, then its arena; ranks of its node
 * map it. */
#include "comm/mpi_internal.h"

#include "base/memory.h"

#include <string.h>

static size_t flag_bytes(int n_flags)
{
    enum { PAGE = 4096 };
    size_t bytes = (size_t)n_flags * sizeof(kpar_flag);
    return (bytes + PAGE - 1) / PAGE * PAGE;
}

static kpar_status open_peers(kpar_comm *comm, const kpar_segment_name *names)
{
    mpi_comm *mpi = (mpi_comm *)comm;
    for (int r = 0; r < comm->size; r++) {
        if (r == comm->rank || !kpar_comm_shares(comm, comm->rank, r)) continue;
        KPAR_TRY(kpar_segment_open(&mpi->windows[r], &names[r]));
    }
    return KPAR_OK;
}

/* Whether the node has room for the windows of all its ranks, before any of them is made. */
static kpar_status check_room(kpar_comm *comm, size_t bytes)
{
    size_t total = 0, *all = kpar_alloc((size_t)comm->size * sizeof *all);
    kpar_status status = kpar_comm_all_gather(comm, &bytes, all, sizeof bytes);
    for (int r = 0; r < comm->size && status == KPAR_OK; r++) {
        if (comm->nodes[r] != comm->nodes[comm->rank]) continue;
        total = all[r] > SIZE_MAX - total ? SIZE_MAX : total + all[r];
    }
    kpar_free(all);
    return status == KPAR_OK ? kpar_comm_agree(comm, kpar_segment_check_room(total, comm->local_size))
                             : status;
}

/* Own segment, then everybody's, each half agreed upon. */
static kpar_status exchange(kpar_comm *comm, size_t bytes)
{
    kpar_segment *own = &((mpi_comm *)comm)->windows[comm->rank];
    bool shared = comm->shares && comm->local_size > 1;
    KPAR_TRY(check_room(comm, bytes));
    KPAR_TRY(kpar_comm_agree(comm, kpar_segment_create(own, bytes, shared)));
    kpar_segment_name name = kpar_segment_name_of(own);
    kpar_segment_name *names = kpar_alloc_zeroed((size_t)comm->size, sizeof name);
    kpar_status status = kpar_comm_all_gather(comm, &name, names, sizeof name);
    if (status == KPAR_OK) status = kpar_comm_agree(comm, open_peers(comm, names));
    kpar_free(names);
    kpar_segment_close_file(own);
    return status;
}

kpar_status kpar_mpi_window_create(kpar_comm *comm, size_t bytes, int n_flags)
{
    mpi_comm *mpi = (mpi_comm *)comm;
    size_t ahead = flag_bytes(n_flags);
    for (int r = 0; r < comm->size; r++) mpi->windows[r] = (kpar_segment){.file = -1};
    kpar_status status = exchange(comm, bytes > SIZE_MAX - ahead ? SIZE_MAX : ahead + bytes);
    if (status != KPAR_OK) {
        kpar_mpi_window_destroy(comm);
        return status;
    }
    for (int r = 0; r < comm->size; r++) {
        if (!mpi->windows[r].base) continue;
        comm->flags[r] = mpi->windows[r].base;
        comm->arenas[r] = (unsigned char *)mpi->windows[r].base + flag_bytes(n_flags);
    }
    return KPAR_OK;
}

void kpar_mpi_window_destroy(kpar_comm *comm)
{
    for (int r = 0; r < comm->size; r++) kpar_segment_destroy(&((mpi_comm *)comm)->windows[r]);
}
