/* What all communicators have in common: agreeing, sums in rank order, blocking messages, windows. */
#include "comm/transport.h"

#include "base/clock.h"
#include "base/memory.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int kpar_comm_rank(const kpar_comm *comm) { return comm->rank; }
int kpar_comm_size(const kpar_comm *comm) { return comm->size; }
int kpar_comm_node(const kpar_comm *comm, int rank) { return comm->nodes[rank]; }
int kpar_comm_local_rank(const kpar_comm *comm) { return comm->local_rank; }
int kpar_comm_local_size(const kpar_comm *comm) { return comm->local_size; }
const char *kpar_comm_transport(const kpar_comm *comm) { return comm->transport->name; }
bool kpar_comm_moves_on_any_thread(const kpar_comm *comm) { return comm->any_thread; }

void kpar_comm_begin(kpar_comm *comm, const kpar_transport *transport, int rank, int size, const int *nodes)
{
    comm->transport = transport;
    comm->rank = rank;
    comm->size = size;
    comm->nodes = kpar_alloc((size_t)size * sizeof *comm->nodes);
    memcpy(comm->nodes, nodes, (size_t)size * sizeof *nodes);
    for (int r = 0; r < size; r++) {
        if (nodes[r] != nodes[rank]) continue;
        if (r < rank) comm->local_rank++;
        comm->local_size++;
    }
    comm->arenas = kpar_alloc_zeroed((size_t)size, sizeof *comm->arenas);
    comm->flags = kpar_alloc_zeroed((size_t)size, sizeof *comm->flags);
    comm->agreed_rank = -1;
}

void kpar_comm_end(kpar_comm *comm)
{
    for (kpar_request *block = comm->request_blocks, *next; block; block = next) {
        next = block->next;
        kpar_free(block);
    }
    for (size_t g = 0; g < comm->n_groups; g++) kpar_free(comm->groups[g].ranks);
    kpar_free(comm->groups);
    kpar_free(comm->nodes);
    kpar_free(comm->arenas);
    kpar_free(comm->flags);
    kpar_free(comm);
}

void kpar_comm_destroy(kpar_comm *comm)
{
    if (!comm) return;
    kpar_comm_window_destroy(comm);
    comm->transport->destroy(comm);
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

kpar_status kpar_comm_sum(kpar_comm *comm, double *values, int n)
{
    size_t bytes = (size_t)n * sizeof *values;
    double *all = kpar_alloc(bytes * (size_t)comm->size);
    kpar_status status = kpar_comm_all_gather(comm, values, all, bytes);
    for (int i = 0; status == KPAR_OK && i < n; i++) {
        values[i] = all[i];
        for (int r = 1; r < comm->size; r++) values[i] += all[(size_t)r * (size_t)n + (size_t)i];
    }
    kpar_free(all);
    return status;
}

/* Lowest rank whose status is not KPAR_OK, -1 if there is none. */
static kpar_status first_failure(kpar_comm *comm, kpar_status own, int *rank, kpar_status *failure)
{
    kpar_status *all = kpar_alloc((size_t)comm->size * sizeof *all);
    kpar_status status = kpar_comm_all_gather(comm, &own, all, sizeof own);
    *rank = -1;
    for (int r = 0; status == KPAR_OK && r < comm->size && *rank < 0; r++) {
        if (all[r] == KPAR_OK) continue;
        *rank = r;
        *failure = all[r];
    }
    kpar_free(all);
    return status;
}

/* A file or memory that rank 0 has and another rank has not is a matter of the other's machine, which is named. */
static void write_message(const kpar_comm *comm, kpar_status own, char message[KPAR_MESSAGE_BYTES])
{
    char host[256] = "unknown";
    const bool local = own == KPAR_EIO || own == KPAR_EFORMAT || own == KPAR_ENOMEM;
    (void)gethostname(host, sizeof host - 1);
    if (local && comm->rank > 0)
        snprintf(message, KPAR_MESSAGE_BYTES, "rank %d on %s: %s", comm->rank, host, kpar_error_message());
    else
        snprintf(message, KPAR_MESSAGE_BYTES, "%s", kpar_error_message());
}

kpar_status kpar_comm_agree(kpar_comm *comm, kpar_status status)
{
    char message[KPAR_MESSAGE_BYTES];
    kpar_status failure = KPAR_OK;
    int rank;
    write_message(comm, status, message);
    KPAR_TRY(first_failure(comm, status, &rank, &failure));
    comm->agreed_rank = rank;
    if (rank < 0) return KPAR_OK;
    KPAR_TRY(kpar_comm_broadcast(comm, message, sizeof message, rank));
    memcpy(comm->agreed_message, message, sizeof message);
    return kpar_fail(failure, "%s", message);
}

void kpar_comm_abort(kpar_comm *comm, kpar_status status)
{
    const char *message = kpar_error_message();
    bool agreed = comm->agreed_rank >= 0 && strstr(message, comm->agreed_message);
    comm->transport->abort(comm, status, message, agreed && comm->agreed_rank != comm->rank);
}

void kpar_comm_set_patience(kpar_comm *comm, double seconds) { comm->patience = seconds; }

kpar_status kpar_comm_be_patient(kpar_comm *comm, kpar_patience *patience, const char *what)
{
    enum { TURNS_A_LOOK = 64 };
    char host[256] = "unknown";
    if (comm->patience <= 0 || patience->turns++ % TURNS_A_LOOK != 0) return KPAR_OK;
    const double now = kpar_seconds();
    if (patience->began == 0) patience->began = now;
    if (now - patience->began <= comm->patience) return KPAR_OK;
    (void)gethostname(host, sizeof host - 1);
    kpar_status status = kpar_fail(
        KPAR_ESTALL,
        "rank %d on %s has waited %.3g s for %s: another rank hangs, was stopped, or works for longer than "
        "10 times --stall-timeout",
        comm->rank, host, now - patience->began, what);
    kpar_comm_abort(comm, status);
    return status;
}

/* Waits for a message of the control plane: first in a hurry, then, as the peer may be busy for long, at
 * leisure. */
static kpar_status finish(kpar_comm *comm, kpar_request *request)
{
    enum { HURRY = 2000 };
    const struct timespec nap = {.tv_nsec = 50000};
    kpar_patience patience = {0};
    bool done = false;
    for (int turn = 0; !done; turn++) {
        KPAR_TRY(kpar_comm_progress(comm, &request, &done));
        KPAR_TRY(kpar_comm_be_patient(comm, &patience, "a message"));
        if (turn < HURRY)
            kpar_comm_yield(comm);
        else if (!done)
            nanosleep(&nap, NULL), turn = HURRY;
    }
    return KPAR_OK;
}

kpar_status kpar_comm_send(kpar_comm *comm, const void *data, size_t bytes, int peer)
{
    kpar_request *request;
    KPAR_TRY(kpar_comm_start_send(comm, data, bytes, peer, KPAR_CHANNEL_CONTROL, &request));
    return finish(comm, request);
}

kpar_status kpar_comm_receive(kpar_comm *comm, void *data, size_t bytes, int peer)
{
    kpar_request *request;
    KPAR_TRY(kpar_comm_start_receive(comm, data, bytes, peer, KPAR_CHANNEL_CONTROL, &request));
    return finish(comm, request);
}

kpar_status kpar_comm_window_create(kpar_comm *comm, size_t bytes, int n_flags, void **arena)
{
    *arena = NULL;
    KPAR_TRY(comm->transport->window_create(comm, bytes, n_flags));
    *arena = comm->arenas[comm->rank];
    return KPAR_OK;
}

void kpar_comm_window_destroy(kpar_comm *comm)
{
    if (!comm->arenas[comm->rank]) return;
    comm->transport->window_destroy(comm);
    memset(comm->arenas, 0, (size_t)comm->size * sizeof *comm->arenas);
    memset(comm->flags, 0, (size_t)comm->size * sizeof *comm->flags);
}

void *kpar_comm_window_of(const kpar_comm *comm, int rank) { return comm->arenas[rank]; }

bool kpar_comm_shares(const kpar_comm *comm, int a, int b)
{
    return a == b || (comm->shares && comm->nodes[a] == comm->nodes[b]);
}

void kpar_comm_flag_set(kpar_comm *comm, int flag, uint64_t value)
{
    atomic_store_explicit(&comm->flags[comm->rank][flag].value, value, memory_order_release);
}

uint64_t kpar_comm_flag_get(kpar_comm *comm, int rank, int flag)
{
    return atomic_load_explicit(&comm->flags[rank][flag].value, memory_order_acquire);
}

void kpar_comm_yield(kpar_comm *comm)
{
    if (comm->oversubscribed) {
        sched_yield();
        return;
    }
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#else
    atomic_signal_fence(memory_order_seq_cst);
#endif
}
