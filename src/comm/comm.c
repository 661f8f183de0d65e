/* What all transports share. */
#include "comm/transport.h"

#include "base/log.h"

#include <sched.h>
#include <string.h>

enum { REQUESTS = 4096, MESSAGE_BYTES = 2048 };

void kpar_comm_setup(kpar_comm *comm, const kpar_transport *transport, int rank, int size, const int *nodes, bool windows)
{
    comm->transport = transport;
    comm->rank = rank;
    comm->size = size;
    comm->windows = windows;
    comm->nodes = kpar_alloc((size_t)size * sizeof *comm->nodes);
    comm->arenas = kpar_alloc_zeroed((size_t)size, sizeof *comm->arenas);
    comm->flags = kpar_alloc_zeroed((size_t)size, sizeof *comm->flags);
    comm->requests = kpar_alloc_zeroed(REQUESTS, sizeof *comm->requests);
    comm->n_requests = REQUESTS;
    for (int i = 0; i < size; i++) {
        comm->nodes[i] = nodes[i];
        if (nodes[i] != nodes[rank]) continue;
        comm->local_rank += i < rank;
        comm->local_size++;
    }
    cpu_set_t cores;
    comm->oversubscribed = sched_getaffinity(0, sizeof cores, &cores) != 0 || comm->local_size > CPU_COUNT(&cores);
}

void kpar_comm_teardown(kpar_comm *comm)
{
    kpar_free(comm->nodes);
    kpar_free(comm->arenas);
    kpar_free(comm->flags);
    kpar_free(comm->requests);
}

int kpar_comm_rank(const kpar_comm *comm) { return comm->rank; }
int kpar_comm_size(const kpar_comm *comm) { return comm->size; }
int kpar_comm_node(const kpar_comm *comm, int rank) { return comm->nodes[rank]; }
int kpar_comm_local_rank(const kpar_comm *comm) { return comm->local_rank; }
int kpar_comm_local_size(const kpar_comm *comm) { return comm->local_size; }
const char *kpar_comm_transport(const kpar_comm *comm) { return comm->transport->name; }

void kpar_comm_destroy(kpar_comm *comm)
{
    if (comm) comm->transport->destroy(comm);
}

kpar_status kpar_comm_barrier(kpar_comm *comm) { return comm->transport->barrier(comm); }

kpar_status kpar_comm_broadcast(kpar_comm *comm, void *data, size_t bytes, int root)
{
    return comm->transport->broadcast(comm, data, bytes, root);
}

kpar_status kpar_comm_all_gather(kpar_comm *comm, const void *own, void *all, size_t bytes)
{
    return comm->transport->all_gather(comm, own, all, bytes);
}

kpar_status kpar_comm_send(kpar_comm *comm, const void *data, size_t bytes, int peer) { return comm->transport->send(comm, data, bytes, peer); }
kpar_status kpar_comm_receive(kpar_comm *comm, void *data, size_t bytes, int peer) { return comm->transport->receive(comm, data, bytes, peer); }

/* Gathered and added in rank order, so that every rank has the same bits. */
kpar_status kpar_comm_sum(kpar_comm *comm, double *values, int n)
{
    enum { SMALL = 1024 };
    if (comm->size == 1) return KPAR_OK;
    double small[SMALL];
    const size_t count = (size_t)n * (size_t)comm->size;
    double *all = count <= SMALL ? small : kpar_alloc(count * sizeof *all);
    kpar_status status = comm->transport->all_gather(comm, values, all, (size_t)n * sizeof *values);
    for (int i = 0; i < n && status == KPAR_OK; i++) {
        values[i] = all[i];
        for (int rank = 1; rank < comm->size; rank++) values[i] += all[(size_t)rank * (size_t)n + (size_t)i];
    }
    if (all != small) kpar_free(all);
    return status;
}

kpar_status kpar_comm_agree(kpar_comm *comm, kpar_status status)
{
    if (comm->size == 1) return status;
    int own = (int)status, *all = kpar_alloc((size_t)comm->size * sizeof *all), first = -1;
    char message[MESSAGE_BYTES] = "";
    kpar_status gathered = comm->transport->all_gather(comm, &own, all, sizeof own);
    for (int rank = 0; rank < comm->size && first < 0 && gathered == KPAR_OK; rank++)
        if (all[rank] != KPAR_OK) first = rank;
    const kpar_status result = first >= 0 ? (kpar_status)all[first] : KPAR_OK;
    kpar_free(all);
    if (gathered != KPAR_OK) return gathered;
    if (first < 0) return KPAR_OK;
    strncpy(message, kpar_error_message(), sizeof message - 1);
    KPAR_TRY(comm->transport->broadcast(comm, message, sizeof message, first));
    return kpar_fail(result, "%s", message);
}

void kpar_comm_abort(kpar_comm *comm, kpar_status status) { comm->transport->abort(comm, status); }

kpar_status kpar_comm_window_create(kpar_comm *comm, size_t bytes, int n_flags, void **arena)
{
    KPAR_TRY(comm->transport->window_create(comm, bytes, n_flags));
    *arena = comm->arenas[comm->rank];
    return KPAR_OK;
}

void kpar_comm_window_destroy(kpar_comm *comm)
{
    comm->transport->window_destroy(comm);
    memset(comm->arenas, 0, (size_t)comm->size * sizeof *comm->arenas);
    memset(comm->flags, 0, (size_t)comm->size * sizeof *comm->flags);
}

void *kpar_comm_window_of(const kpar_comm *comm, int rank) { return comm->arenas[rank]; }

bool kpar_comm_shares(const kpar_comm *comm, int a, int b) { return a == b || (comm->windows && comm->nodes[a] == comm->nodes[b]); }

void kpar_comm_flag_set(kpar_comm *comm, int flag, uint64_t value)
{
    atomic_store_explicit(&comm->flags[comm->rank][(size_t)flag * KPAR_FLAG_STRIDE], value, memory_order_release);
}

uint64_t kpar_comm_flag_get(kpar_comm *comm, int rank, int flag)
{
    return atomic_load_explicit(&comm->flags[rank][(size_t)flag * KPAR_FLAG_STRIDE], memory_order_acquire);
}

static kpar_status take_request(kpar_comm *comm, kpar_request **request)
{
    for (int i = 0; i < comm->n_requests; i++) {
        kpar_request *r = &comm->requests[(comm->next_request + i) % comm->n_requests];
        if (r->used) continue;
        comm->next_request = (comm->next_request + i + 1) % comm->n_requests;
        memset(r, 0, sizeof *r);
        r->used = true;
        *request = r;
        return KPAR_OK;
    }
    return kpar_fail(KPAR_ECOMM, "more than %d messages under way", comm->n_requests);
}

kpar_status kpar_comm_start_send(kpar_comm *comm, const void *data, size_t bytes, int peer, int channel, kpar_request **request)
{
    KPAR_TRY(take_request(comm, request));
    return comm->transport->start_send(comm, data, bytes, peer, channel, *request);
}

kpar_status kpar_comm_start_receive(kpar_comm *comm, void *data, size_t bytes, int peer, int channel, kpar_request **request)
{
    KPAR_TRY(take_request(comm, request));
    return comm->transport->start_receive(comm, data, bytes, peer, channel, *request);
}

kpar_status kpar_comm_group(kpar_comm *comm, const int *ranks, int n, int *group) { return comm->transport->group(comm, ranks, n, group); }

kpar_status kpar_comm_start_collective(kpar_comm *comm, int group, kpar_collective collective, kpar_reduction reduction, kpar_dtype dtype,
                                       const void *input, void *output, const size_t *counts, size_t total, kpar_request **request)
{
    KPAR_TRY(take_request(comm, request));
    return comm->transport->start_collective(comm, group, collective, reduction, dtype, input, output, counts, total, *request);
}

kpar_status kpar_comm_progress(kpar_comm *comm, kpar_request **request, bool *done)
{
    if (!request || !*request) return comm->transport->test(comm, NULL, done);
    KPAR_TRY(comm->transport->test(comm, *request, done));
    if (*done) {
        (*request)->used = false;
        *request = NULL;
    }
    return KPAR_OK;
}

void kpar_comm_yield(kpar_comm *comm)
{
    if (comm->oversubscribed)
        sched_yield();
    else
        atomic_signal_fence(memory_order_seq_cst);
}
