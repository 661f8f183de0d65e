/* Transport `local`: ranks as threads of one process. Windows are plain memory; a message is copied once, by whoever of
 * the two ends comes second; a whole collective by whoever of its members comes last. */
#include "comm/transport.h"

#include "base/log.h"

#include <pthread.h>
#include <string.h>

enum { CONTROL_CHANNEL = -1 };

typedef struct message {
    struct message *next;
    int from, to, channel;
    const void *source;
    void *target;
    size_t bytes;
    _Atomic bool *done;
    bool is_send;
} message;

/* One execution of a whole collective of a group. */
typedef struct round {
    struct round *next;
    uint64_t number;
    int arrived, left;
    const void **inputs;
    void **outputs;
    _Atomic bool done;
} round;

typedef struct group {
    struct group *next;
    int n, *ranks;
    round *rounds;
} group;

typedef struct world {
    int size, users;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int waiting;
    uint64_t generation;
    const void **published;
    void **arenas;
    _Atomic uint64_t **flags;
    message *messages; /* half of a pair each */
    group *groups;
    kpar_status failed;
    char failure[2048];
} world;

typedef struct local_comm {
    kpar_comm comm;
    world *world;
    struct {
        group *group;
        uint64_t rounds; /* started by this rank */
        int me;
    } *groups;
    size_t n_groups, groups_capacity;
} local_comm;

typedef struct local_request {
    _Atomic bool done;
    message message;
    round *round;
} local_request;

static world *world_of(kpar_comm *comm) { return ((local_comm *)comm)->world; }

static kpar_status failure(const world *w)
{
    return w->failed ? kpar_fail(KPAR_ECOMM, "%s", w->failure) : KPAR_OK;
}

/* All ranks come here before any leaves; with the world's mutex held. */
static kpar_status meet(world *w)
{
    const uint64_t generation = w->generation;
    if (w->failed) return failure(w);
    if (++w->waiting == w->size) {
        w->waiting = 0;
        w->generation++;
        pthread_cond_broadcast(&w->changed);
        return KPAR_OK;
    }
    while (w->generation == generation && !w->failed) pthread_cond_wait(&w->changed, &w->mutex);
    return w->generation != generation ? KPAR_OK : failure(w);
}

static kpar_status local_barrier(kpar_comm *comm)
{
    world *w = world_of(comm);
    pthread_mutex_lock(&w->mutex);
    kpar_status status = meet(w);
    pthread_mutex_unlock(&w->mutex);
    return status;
}

/* Every rank shows a pointer; `copy` reads them; nobody leaves before all have read. */
static kpar_status show(kpar_comm *comm, const void *own, void (*copy)(const void *const *all, int size, void *context), void *context)
{
    world *w = world_of(comm);
    pthread_mutex_lock(&w->mutex);
    w->published[comm->rank] = own;
    kpar_status status = meet(w);
    if (status == KPAR_OK) {
        copy(w->published, w->size, context);
        status = meet(w);
    }
    pthread_mutex_unlock(&w->mutex);
    return status;
}

typedef struct copying {
    void *target;
    size_t bytes;
    int root;
} copying;

static void copy_root(const void *const *all, int size, void *context)
{
    copying *c = context;
    (void)size;
    if (c->target != all[c->root] && c->bytes) memcpy(c->target, all[c->root], c->bytes);
}

static void copy_all(const void *const *all, int size, void *context)
{
    copying *c = context;
    for (int i = 0; i < size && c->bytes; i++) memcpy((char *)c->target + (size_t)i * c->bytes, all[i], c->bytes);
}

static kpar_status local_broadcast(kpar_comm *comm, void *data, size_t bytes, int root) { return show(comm, data, copy_root, &(copying){data, bytes, root}); }

static kpar_status local_all_gather(kpar_comm *comm, const void *own, void *all, size_t bytes) { return show(comm, own, copy_all, &(copying){all, bytes, 0}); }

/* --- messages --- */

static void transfer(message *send, message *receive)
{
    size_t bytes = send->bytes < receive->bytes ? send->bytes : receive->bytes;
    if (bytes) memcpy(receive->target, send->source, bytes);
    atomic_store_explicit(send->done, true, memory_order_release);
    atomic_store_explicit(receive->done, true, memory_order_release);
}

/* Matches with the oldest other half, or waits for it. */
static kpar_status post(kpar_comm *comm, message *half)
{
    world *w = world_of(comm);
    kpar_status status = KPAR_OK;
    pthread_mutex_lock(&w->mutex);
    message **at = &w->messages;
    while (*at && !((*at)->from == half->from && (*at)->to == half->to && (*at)->channel == half->channel && (*at)->is_send != half->is_send)) at = &(*at)->next;
    if (*at) {
        message *other = *at;
        *at = other->next;
        if (other->bytes != half->bytes)
            status = kpar_fail(KPAR_ECOMM, "message from rank %d to rank %d on channel %d: sent and received sizes differ (%zu, %zu bytes)", half->from, half->to,
                               half->channel, half->bytes, other->bytes);
        transfer(half->is_send ? half : other, half->is_send ? other : half);
        pthread_cond_broadcast(&w->changed);
    } else {
        half->next = NULL;
        *at = half;
    }
    pthread_mutex_unlock(&w->mutex);
    return status;
}

static kpar_status local_start_send(kpar_comm *comm, const void *data, size_t bytes, int peer, int channel, kpar_request *request)
{
    local_request *r = (local_request *)request->state;
    r->message = (message){.from = comm->rank, .to = peer, .channel = channel, .source = data, .bytes = bytes, .done = &r->done, .is_send = true};
    return post(comm, &r->message);
}

static kpar_status local_start_receive(kpar_comm *comm, void *data, size_t bytes, int peer, int channel, kpar_request *request)
{
    local_request *r = (local_request *)request->state;
    r->message = (message){.from = peer, .to = comm->rank, .channel = channel, .target = data, .bytes = bytes, .done = &r->done};
    return post(comm, &r->message);
}

static kpar_status wait_for(world *w, const _Atomic bool *done)
{
    pthread_mutex_lock(&w->mutex);
    while (!atomic_load_explicit(done, memory_order_acquire) && !w->failed) pthread_cond_wait(&w->changed, &w->mutex);
    kpar_status status = atomic_load_explicit(done, memory_order_acquire) ? KPAR_OK : failure(w);
    pthread_mutex_unlock(&w->mutex);
    return status;
}

static kpar_status local_send(kpar_comm *comm, const void *data, size_t bytes, int peer)
{
    _Atomic bool done = false;
    message m = {.from = comm->rank, .to = peer, .channel = CONTROL_CHANNEL, .source = data, .bytes = bytes, .done = &done, .is_send = true};
    KPAR_TRY(post(comm, &m));
    return wait_for(world_of(comm), &done);
}

static kpar_status local_receive(kpar_comm *comm, void *data, size_t bytes, int peer)
{
    _Atomic bool done = false;
    message m = {.from = peer, .to = comm->rank, .channel = CONTROL_CHANNEL, .target = data, .bytes = bytes, .done = &done};
    KPAR_TRY(post(comm, &m));
    return wait_for(world_of(comm), &done);
}

static void local_abort(kpar_comm *comm, kpar_status status)
{
    world *w = world_of(comm);
    pthread_mutex_lock(&w->mutex);
    if (!w->failed) {
        w->failed = status ? status : KPAR_ECOMM;
        strncpy(w->failure, kpar_error_message(), sizeof w->failure - 1);
    }
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
}

/* --- windows --- */

static kpar_status local_window_create(kpar_comm *comm, size_t bytes, int n_flags)
{
    world *w = world_of(comm);
    void *arena = NULL, *flags = NULL;
    kpar_status status = kpar_try_alloc(bytes, "a rank's arena", &arena);
    if (status == KPAR_OK) status = kpar_try_alloc((size_t)(n_flags + 1) * KPAR_FLAG_STRIDE * sizeof(uint64_t), "a rank's flags", &flags);
    w->arenas[comm->rank] = arena;
    w->flags[comm->rank] = flags;
    KPAR_TRY(kpar_comm_agree(comm, status));
    for (int i = 0; i < comm->size; i++) {
        if (!kpar_comm_shares(comm, comm->rank, i)) continue;
        comm->arenas[i] = w->arenas[i];
        comm->flags[i] = w->flags[i];
    }
    return local_barrier(comm);
}

static void local_window_destroy(kpar_comm *comm)
{
    world *w = world_of(comm);
    kpar_status ignored = local_barrier(comm); /* nobody reads any more */
    (void)ignored;
    kpar_free_aligned(w->arenas[comm->rank]);
    kpar_free_aligned((void *)w->flags[comm->rank]);
    w->arenas[comm->rank] = NULL;
    w->flags[comm->rank] = NULL;
}

/* --- whole collectives --- */

static kpar_status local_group(kpar_comm *comm, const int *ranks, int n, int *number)
{
    local_comm *own = (local_comm *)comm;
    world *w = own->world;
    int me = 0;
    pthread_mutex_lock(&w->mutex);
    group *g = w->groups;
    while (g && !(g->n == n && memcmp(g->ranks, ranks, (size_t)n * sizeof *ranks) == 0)) g = g->next;
    if (!g) {
        g = kpar_alloc_zeroed(1, sizeof *g);
        g->n = n;
        g->ranks = memcpy(kpar_alloc((size_t)n * sizeof *ranks), ranks, (size_t)n * sizeof *ranks);
        g->next = w->groups;
        w->groups = g;
    }
    pthread_mutex_unlock(&w->mutex);
    while (me < n && ranks[me] != comm->rank) me++;
    *number = (int)own->n_groups;
    __typeof__(*own->groups) *entry = &KPAR_PUSH(own->groups, own->n_groups, own->groups_capacity);
    entry->group = g;
    entry->rounds = 0;
    entry->me = me;
    return KPAR_OK;
}

static round *find_round(group *g, uint64_t number)
{
    for (round *r = g->rounds; r; r = r->next)
        if (r->number == number) return r;
    round *r = kpar_alloc_zeroed(1, sizeof *r);
    r->number = number;
    r->inputs = kpar_alloc_zeroed((size_t)g->n, sizeof *r->inputs);
    r->outputs = kpar_alloc_zeroed((size_t)g->n, sizeof *r->outputs);
    r->next = g->rounds;
    g->rounds = r;
    return r;
}

static double combine(kpar_reduction reduction, double a, double b)
{
    return reduction == KPAR_REDUCE_SUM ? a + b : reduction == KPAR_REDUCE_MAX ? (a > b ? a : b) : (a < b ? a : b);
}

/* Element `index` reduced over the members, in member order and in the type's own precision. */
static void reduce_element(const group *g, const round *r, kpar_reduction reduction, kpar_dtype dtype, size_t index, void *result)
{
    const size_t bytes = kpar_dtype_bytes(dtype);
    double sum, term;
    kpar_convert(&sum, KPAR_F64, (const char *)r->inputs[0] + index * bytes, dtype, 1);
    for (int i = 1; i < g->n; i++) {
        kpar_convert(&term, KPAR_F64, (const char *)r->inputs[i] + index * bytes, dtype, 1);
        sum = combine(reduction, sum, term);
        if (dtype == KPAR_F32) sum = (double)(float)sum;
    }
    kpar_convert(result, dtype, &sum, KPAR_F64, 1);
}

static void run_round(const group *g, round *r, kpar_collective collective, kpar_reduction reduction, kpar_dtype dtype, const size_t *counts, size_t total)
{
    const size_t bytes = kpar_dtype_bytes(dtype);
    char *whole = kpar_alloc(total * bytes + 1);
    size_t first = 0;
    if (collective == KPAR_COLLECTIVE_ALL_GATHER)
        for (int i = 0; i < g->n; first += counts[i++]) memcpy(whole + first * bytes, r->inputs[i], counts[i] * bytes);
    else
        for (size_t i = 0; i < total; i++) reduce_element(g, r, reduction, dtype, i, whole + i * bytes);
    first = 0;
    for (int i = 0; i < g->n; i++) {
        const bool scatter = collective == KPAR_COLLECTIVE_REDUCE_SCATTER;
        memcpy(r->outputs[i], whole + (scatter ? first * bytes : 0), (scatter ? counts[i] : total) * bytes);
        if (counts) first += counts[i];
    }
    kpar_free(whole);
}

static kpar_status local_start_collective(kpar_comm *comm, int number, kpar_collective collective, kpar_reduction reduction, kpar_dtype dtype,
                                          const void *input, void *output, const size_t *counts, size_t total, kpar_request *request)
{
    local_comm *own = (local_comm *)comm;
    world *w = own->world;
    group *g = own->groups[number].group;
    pthread_mutex_lock(&w->mutex);
    round *r = find_round(g, own->groups[number].rounds++);
    r->inputs[own->groups[number].me] = input;
    r->outputs[own->groups[number].me] = output;
    if (++r->arrived == g->n) {
        run_round(g, r, collective, reduction, dtype, counts, total);
        atomic_store_explicit(&r->done, true, memory_order_release);
    }
    pthread_mutex_unlock(&w->mutex);
    local_request *state = (local_request *)request->state;
    state->round = r;
    state->message.to = number;
    return KPAR_OK;
}

static void free_round(round *r)
{
    kpar_free(r->inputs);
    kpar_free(r->outputs);
    kpar_free(r);
}

static void leave_round(local_comm *own, local_request *request)
{
    group *g = own->groups[request->message.to].group;
    pthread_mutex_lock(&own->world->mutex);
    if (++request->round->left == g->n) {
        round **at = &g->rounds;
        while (*at != request->round) at = &(*at)->next;
        *at = request->round->next;
        free_round(request->round);
    }
    pthread_mutex_unlock(&own->world->mutex);
}

static kpar_status local_test(kpar_comm *comm, kpar_request *request, bool *done)
{
    world *w = world_of(comm);
    if (done) *done = false;
    if (w->failed) return failure(w);
    if (!request) return KPAR_OK;
    local_request *r = (local_request *)request->state;
    *done = atomic_load_explicit(r->round ? &r->round->done : &r->done, memory_order_acquire);
    if (*done && r->round) leave_round((local_comm *)comm, r);
    return KPAR_OK;
}

/* --- the world --- */

static void destroy_world(world *w)
{
    for (group *g = w->groups, *next; g; g = next) {
        next = g->next;
        for (round *r = g->rounds, *after; r; r = after) {
            after = r->next;
            free_round(r);
        }
        kpar_free(g->ranks);
        kpar_free(g);
    }
    pthread_mutex_destroy(&w->mutex);
    pthread_cond_destroy(&w->changed);
    kpar_free(w->published);
    kpar_free(w->arenas);
    kpar_free(w->flags);
    kpar_free(w);
}

static void local_destroy(kpar_comm *comm)
{
    local_comm *own = (local_comm *)comm;
    pthread_mutex_lock(&own->world->mutex);
    const bool last = --own->world->users == 0;
    pthread_mutex_unlock(&own->world->mutex);
    if (last) destroy_world(own->world);
    kpar_free(own->groups);
    kpar_comm_teardown(comm);
    kpar_free(own);
}

static const kpar_transport local = {
    .name = "local",
    .destroy = local_destroy,
    .barrier = local_barrier,
    .broadcast = local_broadcast,
    .all_gather = local_all_gather,
    .send = local_send,
    .receive = local_receive,
    .abort = local_abort,
    .window_create = local_window_create,
    .window_destroy = local_window_destroy,
    .start_send = local_start_send,
    .start_receive = local_start_receive,
    .group = local_group,
    .start_collective = local_start_collective,
    .test = local_test,
};

kpar_status kpar_comm_local_create(int n, int ranks_per_node, kpar_comm **comms)
{
    _Static_assert(sizeof(local_request) <= sizeof(((kpar_request *)0)->state), "a request has room for its state");
    world *w = kpar_alloc_zeroed(1, sizeof *w);
    int *nodes = kpar_alloc((size_t)n * sizeof *nodes);
    w->size = w->users = n;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->changed, NULL);
    w->published = kpar_alloc_zeroed((size_t)n, sizeof *w->published);
    w->arenas = kpar_alloc_zeroed((size_t)n, sizeof *w->arenas);
    w->flags = kpar_alloc_zeroed((size_t)n, sizeof *w->flags);
    for (int i = 0; i < n; i++) nodes[i] = ranks_per_node > 0 ? i / ranks_per_node : 0;
    for (int i = 0; i < n; i++) {
        local_comm *own = kpar_alloc_zeroed(1, sizeof *own);
        own->world = w;
        kpar_comm_setup(&own->comm, &local, i, n, nodes, true);
        comms[i] = &own->comm;
    }
    kpar_free(nodes);
    return KPAR_OK;
}
