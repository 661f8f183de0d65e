/* The transport `local`: ranks as threads of one process. Its control plane and windows; messages and
 * whole collectives have files of their own. Pretended nodes share windows within, and only messages
 * between them. */
#include "comm/local_internal.h"

#include "base/log.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

kpar_status kpar_local_ended(local_world *world)
{
    pthread_mutex_lock(&world->lock);
    while (world->busy > 0) pthread_cond_wait(&world->changed, &world->lock);
    pthread_mutex_unlock(&world->lock);
    return kpar_fail(KPAR_ECOMM, "%s", world->message);
}

bool kpar_local_busy_begin(local_world *world)
{
    bool ended = atomic_load(&world->ended);
    if (!ended) world->busy++;
    pthread_mutex_unlock(&world->lock);
    return !ended;
}

void kpar_local_busy_end(local_world *world)
{
    pthread_mutex_lock(&world->lock);
    world->busy--;
    pthread_cond_broadcast(&world->changed);
    pthread_mutex_unlock(&world->lock);
}

kpar_status kpar_local_barrier(kpar_comm *comm)
{
    local_world *world = kpar_local_world(comm);
    pthread_mutex_lock(&world->lock);
    unsigned generation = world->generation;
    bool late = atomic_load(&world->ended); /* then all or none have passed */
    if (!late && ++world->arrived == world->n) {
        world->arrived = 0;
        world->generation++;
        pthread_cond_broadcast(&world->changed);
    }
    while (world->generation == generation && !atomic_load(&world->ended))
        pthread_cond_wait(&world->changed, &world->lock);
    bool passed = world->generation != generation;
    pthread_mutex_unlock(&world->lock);
    return passed ? KPAR_OK : kpar_local_ended(world);
}

/* Starts reading what peers deposited; the job must not be ended meanwhile. */
static kpar_status read_begin(local_world *world)
{
    pthread_mutex_lock(&world->lock);
    return kpar_local_busy_begin(world) ? KPAR_OK : kpar_local_ended(world);
}

static kpar_status local_broadcast(kpar_comm *comm, void *data, size_t bytes, int root)
{
    local_world *world = kpar_local_world(comm);
    world->deposits[comm->rank] = data;
    KPAR_TRY(kpar_local_barrier(comm));
    KPAR_TRY(read_begin(world));
    if (comm->rank != root && bytes) memcpy(data, world->deposits[root], bytes);
    kpar_local_busy_end(world);
    return kpar_local_barrier(comm);
}

static kpar_status local_all_gather(kpar_comm *comm, const void *own, void *all, size_t bytes)
{
    local_world *world = kpar_local_world(comm);
    world->deposits[comm->rank] = own;
    KPAR_TRY(kpar_local_barrier(comm));
    KPAR_TRY(read_begin(world));
    for (int r = 0; r < comm->size; r++) {
        unsigned char *part = (unsigned char *)all + (size_t)r * bytes;
        if (world->deposits[r] != part && bytes) memcpy(part, world->deposits[r], bytes);
    }
    kpar_local_busy_end(world);
    return kpar_local_barrier(comm);
}

static void local_abort(kpar_comm *comm, kpar_status status, const char *message, bool heard)
{
    local_world *world = kpar_local_world(comm);
    (void)status;
    (void)heard; /* all see the same `ended` */
    pthread_mutex_lock(&world->lock);
    bool first = !atomic_load(&world->ended);
    if (first) {
        snprintf(world->message, sizeof world->message, "%s", message);
        atomic_store(&world->ended, true);
        pthread_cond_broadcast(&world->changed);
    }
    while (world->busy > 0) pthread_cond_wait(&world->changed, &world->lock);
    pthread_mutex_unlock(&world->lock);
    if (first) kpar_log_error(world->message);
}

static local_window *window_new(int n)
{
    local_window *window = kpar_alloc_zeroed(1, sizeof *window);
    window->n = n;
    window->arenas = kpar_alloc_zeroed((size_t)n, sizeof *window->arenas);
    window->flags = kpar_alloc_zeroed((size_t)n, sizeof *window->flags);
    atomic_init(&window->users, n);
    return window;
}

static void window_release(local_window *window)
{
    if (atomic_fetch_sub(&window->users, 1) > 1) return;
    for (int r = 0; r < window->n; r++) {
        kpar_free_aligned(window->arenas[r]);
        kpar_free_aligned(window->flags[r]);
    }
    kpar_free(window->arenas);
    kpar_free(window->flags);
    kpar_free(window);
}

static kpar_status window_fill(local_window *window, int rank, size_t bytes, int n_flags)
{
    void *flags;
    KPAR_TRY(kpar_try_alloc(bytes, "the arena", &window->arenas[rank]));
    KPAR_TRY(kpar_try_alloc((size_t)n_flags * sizeof(kpar_flag), "the flags", &flags));
    window->flags[rank] = flags;
    return KPAR_OK;
}

static kpar_status local_window_create(kpar_comm *comm, size_t bytes, int n_flags)
{
    local_comm *local = (local_comm *)comm;
    if (comm->rank == 0) local->world->published = window_new(comm->size);
    kpar_status status = kpar_local_barrier(comm);
    if (status != KPAR_OK) {
        if (comm->rank == 0) atomic_store(&((local_window *)local->world->published)->users, 1);
        if (comm->rank == 0) window_release(local->world->published);
        return status;
    }
    local->window = local->world->published;
    status = kpar_comm_agree(comm, window_fill(local->window, comm->rank, bytes, n_flags));
    if (status != KPAR_OK) {
        window_release(local->window);
        local->window = NULL;
        return status;
    }
    for (int r = 0; r < comm->size; r++) {
        if (!kpar_comm_shares(comm, comm->rank, r)) continue;
        comm->arenas[r] = local->window->arenas[r];
        comm->flags[r] = local->window->flags[r];
    }
    return KPAR_OK;
}

static void local_window_destroy(kpar_comm *comm)
{
    local_comm *local = (local_comm *)comm;
    window_release(local->window);
    local->window = NULL;
}

/* Whether the request has ended. `done` is set after all that the other end does with it. */
static kpar_status local_progress(kpar_comm *comm, kpar_request *request, bool *done)
{
    local_world *world = kpar_local_world(comm);
    local_request *own = (local_request *)request;
    *done = own && atomic_load_explicit(&own->done, memory_order_acquire);
    if (!*done)
        return atomic_load_explicit(&world->ended, memory_order_acquire) ? kpar_local_ended(world) : KPAR_OK;
    if (own->collective && !own->agreed)
        return kpar_fail(KPAR_ECOMM, "rank %d: the members of a group started different collectives",
                         comm->rank);
    if (!own->collective && own->bytes != own->peer_bytes)
        return kpar_fail(KPAR_ECOMM,
                         "rank %d: a message on channel %d has %zu bytes at one end, %zu at the other",
                         comm->rank, own->channel, own->bytes, own->peer_bytes);
    return KPAR_OK;
}

static void world_destroy(local_world *world)
{
    for (size_t g = 0; g < world->n_groups; g++) kpar_local_group_destroy(world->groups[g]);
    kpar_free(world->groups);
    kpar_free(world->mailboxes);
    kpar_free(world->deposits);
    pthread_cond_destroy(&world->changed);
    pthread_mutex_destroy(&world->lock);
    kpar_free(world);
}

static void local_destroy(kpar_comm *comm)
{
    local_world *world = kpar_local_world(comm);
    pthread_mutex_lock(&world->lock);
    int users = --world->users;
    pthread_mutex_unlock(&world->lock);
    if (users == 0) world_destroy(world);
    kpar_comm_end(comm);
}

static const kpar_transport local_transport = {
    .name = "local",
    .doc = "ranks are threads of one process",
    .request_bytes = sizeof(local_request),
    .destroy = local_destroy,
    .barrier = kpar_local_barrier,
    .broadcast = local_broadcast,
    .all_gather = local_all_gather,
    .abort = local_abort,
    .window_create = local_window_create,
    .window_destroy = local_window_destroy,
    .start_send = kpar_local_start_send,
    .start_receive = kpar_local_start_receive,
    .group = kpar_local_group,
    .start_collective = kpar_local_start_collective,
    .progress = local_progress,
};

static local_world *world_create(int n)
{
    local_world *world = kpar_alloc_zeroed(1, sizeof *world);
    pthread_mutex_init(&world->lock, NULL);
    pthread_cond_init(&world->changed, NULL);
    world->n = world->users = n;
    world->deposits = kpar_alloc_zeroed((size_t)n, sizeof *world->deposits);
    world->mailboxes = kpar_alloc_zeroed((size_t)n * (size_t)n, sizeof *world->mailboxes);
    return world;
}

kpar_status kpar_comm_local_create(int n, int ranks_per_node, kpar_comm **comms)
{
    if (n < 1 || ranks_per_node < 0)
        return kpar_fail(KPAR_EUSAGE,
                         "%d ranks, %d on a node: expected at least 1 rank and no negative number", n,
                         ranks_per_node);
    local_world *world = world_create(n);
    int *nodes = kpar_alloc((size_t)n * sizeof *nodes);
    for (int r = 0; r < n; r++) nodes[r] = ranks_per_node ? r / ranks_per_node : 0;
    for (int r = 0; r < n; r++) {
        local_comm *local = kpar_alloc_zeroed(1, sizeof *local);
        local->world = world;
        local->base.shares = local->base.any_thread = true;
        local->base.oversubscribed = n > sysconf(_SC_NPROCESSORS_ONLN);
        kpar_comm_begin(&local->base, &local_transport, r, n, nodes);
        comms[r] = &local->base;
    }
    kpar_free(nodes);
    return KPAR_OK;
}
