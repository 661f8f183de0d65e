/* What is under way: messages and whole collectives that were started, the groups of collectives, and the pool
 * that requests come from. */
#include "comm/transport.h"

#include "base/memory.h"

#include <string.h>

/* Requests come in blocks that live as long as the communicator, so that a replay allocates nothing. */
static void add_requests(kpar_comm *comm)
{
    enum { REQUESTS = 128, ALIGNMENT = 16 };
    size_t stride = (comm->transport->request_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    unsigned char *block = kpar_alloc_zeroed(REQUESTS + 1, stride);
    kpar_request *link = (void *)block; /* the first one only links the blocks */
    link->next = comm->request_blocks;
    comm->request_blocks = link;
    for (size_t i = 1; i <= REQUESTS; i++) {
        kpar_request *request = (void *)(block + i * stride);
        request->next = comm->free_requests;
        comm->free_requests = request;
    }
}

static kpar_request *request_take(kpar_comm *comm)
{
    if (!comm->free_requests) add_requests(comm);
    kpar_request *request = comm->free_requests;
    comm->free_requests = request->next;
    return request;
}

static void request_give(kpar_comm *comm, kpar_request *request)
{
    request->next = comm->free_requests;
    comm->free_requests = request;
}

/* Hands a started request out, or takes it back if it did not start. */
static kpar_status started(kpar_comm *comm, kpar_status status, kpar_request *own, kpar_request **request)
{
    if (status != KPAR_OK) request_give(comm, own);
    *request = status == KPAR_OK ? own : NULL;
    return status;
}

kpar_status kpar_comm_start_send(kpar_comm *comm, const void *data, size_t bytes, int peer, int channel,
                                 kpar_request **request)
{
    kpar_request *own = request_take(comm);
    return started(comm, comm->transport->start_send(comm, data, bytes, peer, channel, own), own, request);
}

kpar_status kpar_comm_start_receive(kpar_comm *comm, void *data, size_t bytes, int peer, int channel,
                                    kpar_request **request)
{
    kpar_request *own = request_take(comm);
    return started(comm, comm->transport->start_receive(comm, data, bytes, peer, channel, own), own, request);
}

kpar_status kpar_comm_group(kpar_comm *comm, const int *ranks, int n, int *group)
{
    const size_t bytes = (size_t)n * sizeof *ranks;
    for (size_t g = 0; g < comm->n_groups; g++) {
        if (comm->groups[g].n != n || memcmp(comm->groups[g].ranks, ranks, bytes) != 0) continue;
        *group = (int)g;
        return KPAR_OK;
    }
    KPAR_TRY(comm->transport->group(comm, ranks, n, (int)comm->n_groups));
    *group = (int)comm->n_groups;
    kpar_known_group known = {n, kpar_alloc(bytes)};
    memcpy(known.ranks, ranks, bytes);
    KPAR_PUSH(comm->groups, comm->n_groups, comm->groups_capacity) = known;
    return KPAR_OK;
}

kpar_status kpar_comm_start_collective(kpar_comm *comm, int group, kpar_collective collective,
                                       kpar_reduction reduction, kpar_dtype dtype, const void *input,
                                       void *output, const size_t *counts, size_t total,
                                       kpar_request **request)
{
    const kpar_whole whole = {collective, reduction, dtype, input, output, counts, total};
    kpar_request *own = request_take(comm);
    return started(comm, comm->transport->start_collective(comm, group, &whole, own), own, request);
}

kpar_status kpar_comm_progress(kpar_comm *comm, kpar_request **request, bool *done)
{
    bool ended = false;
    KPAR_TRY(comm->transport->progress(comm, request ? *request : NULL, &ended));
    if (done) *done = ended;
    if (request && ended) {
        request_give(comm, *request);
        *request = NULL;
    }
    return KPAR_OK;
}
