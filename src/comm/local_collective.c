/* Whole collectives of ranks of one process: the member that comes last computes everything, block by block, adding
 * in member order. Plain and deterministic. */
#include "comm/local_internal.h"

#include "base/memory.h"

#include <string.h>

/* The k-th collective of a group, while it is under way. */
struct local_operation {
    local_operation *next;
    uint64_t number; /* k */
    int arrived, left;
    bool agreed;
    kpar_whole *members; /* n */
    local_request **requests;
};

struct local_group {
    int n;
    int *ranks;
    uint64_t *started; /* by member: how many it has started */
    local_operation *active, *idle;
};

static local_group *group_create(const int *ranks, int n)
{
    local_group *group = kpar_alloc_zeroed(1, sizeof *group);
    group->n = n;
    group->ranks = kpar_alloc((size_t)n * sizeof *ranks);
    memcpy(group->ranks, ranks, (size_t)n * sizeof *ranks);
    group->started = kpar_alloc_zeroed((size_t)n, sizeof *group->started);
    return group;
}

static void free_operations(local_operation *first)
{
    for (local_operation *o = first, *next; o; o = next) {
        next = o->next;
        kpar_free(o->members);
        kpar_free(o->requests);
        kpar_free(o);
    }
}

void kpar_local_group_destroy(local_group *group)
{
    free_operations(group->active);
    free_operations(group->idle);
    kpar_free(group->ranks);
    kpar_free(group->started);
    kpar_free(group);
}

/* Rank 0 keeps the group; groups are numbered alike on all ranks. */
kpar_status kpar_local_group(kpar_comm *comm, const int *ranks, int n, int group)
{
    local_world *world = kpar_local_world(comm);
    (void)group; /* == world->n_groups */
    if (comm->rank == 0) {
        pthread_mutex_lock(&world->lock);
        KPAR_PUSH(world->groups, world->n_groups, world->groups_capacity) = group_create(ranks, n);
        pthread_mutex_unlock(&world->lock);
    }
    return kpar_local_barrier(comm);
}

static local_operation *operation_create(int n)
{
    local_operation *operation = kpar_alloc_zeroed(1, sizeof *operation);
    operation->members = kpar_alloc_zeroed((size_t)n, sizeof *operation->members);
    operation->requests = kpar_alloc_zeroed((size_t)n, sizeof(local_request *));
    return operation;
}

/* The group's collective of this number, begun if nobody has. */
static local_operation *find(local_group *group, uint64_t number)
{
    for (local_operation *o = group->active; o; o = o->next)
        if (o->number == number) return o;
    local_operation *operation = group->idle;
    if (operation) group->idle = operation->next;
    else operation = operation_create(group->n);
    operation->number = number;
    operation->arrived = operation->left = 0;
    operation->agreed = true;
    operation->next = group->active;
    group->active = operation;
    return operation;
}

bool kpar_local_collective_leave(local_request *request)
{
    local_group *group = request->group;
    local_operation *operation = request->operation, **link = &group->active;
    bool agreed = operation->agreed;
    if (++operation->left < group->n) return agreed;
    while (*link != operation) link = &(*link)->next;
    *link = operation->next;
    operation->next = group->idle;
    group->idle = operation;
    return agreed;
}

/* Elements [first, first + count) of all inputs combined, in `sum`. */
static void combine(const local_operation *operation, int n, size_t first, size_t count, void *sum)
{
    const kpar_whole *whole = &operation->members[0];
    size_t bytes = kpar_dtype_bytes(whole->dtype);
    memcpy(sum, (const unsigned char *)whole->input + first * bytes, count * bytes);
    for (int m = 1; m < n; m++) {
        const unsigned char *input = operation->members[m].input;
        kpar_combine(whole->dtype, whole->reduction, sum, input + first * bytes, count);
    }
}

/* Combines a range and hands it to members [begin, end), at element `target` of their outputs. */
static void reduce_range(const local_operation *operation, int n, size_t first, size_t count, int begin, int end,
                         size_t target)
{
    enum { BLOCK = 1024 };
    uint64_t sum[BLOCK]; /* the largest type has 8 bytes */
    size_t bytes = kpar_dtype_bytes(operation->members[0].dtype);
    for (size_t done = 0, block; done < count; done += block) {
        block = count - done < BLOCK ? count - done : BLOCK;
        combine(operation, n, first + done, block, sum);
        for (int m = begin; m < end; m++)
            memcpy((unsigned char *)operation->members[m].output + (target + done) * bytes, sum, block * bytes);
    }
}

static void gather(const local_operation *operation, int n)
{
    size_t bytes = kpar_dtype_bytes(operation->members[0].dtype), first = 0;
    for (int from = 0; from < n; from++) {
        size_t count = operation->members[0].counts[from];
        const unsigned char *input = operation->members[from].input;
        for (int to = 0; to < n; to++) {
            unsigned char *part = (unsigned char *)operation->members[to].output + first * bytes;
            if (part != input && count) memcpy(part, input, count * bytes);
        }
        first += count;
    }
}

static void scatter(const local_operation *operation, int n)
{
    size_t first = 0;
    for (int m = 0; m < n; m++) {
        size_t count = operation->members[0].counts[m];
        reduce_range(operation, n, first, count, m, m + 1, 0);
        first += count;
    }
}

static void perform(const local_operation *operation, int n)
{
    switch (operation->members[0].collective) {
    case KPAR_COLLECTIVE_ALL_REDUCE: reduce_range(operation, n, 0, operation->members[0].total, 0, n, 0); break;
    case KPAR_COLLECTIVE_REDUCE_SCATTER: scatter(operation, n); break;
    case KPAR_COLLECTIVE_ALL_GATHER: gather(operation, n); break;
    case KPAR_COLLECTIVE_COUNT: break;
    }
}

static bool same(const kpar_whole *a, const kpar_whole *b)
{
    return a->collective == b->collective && a->reduction == b->reduction && a->dtype == b->dtype &&
           a->total == b->total;
}

/* Notes a member's part; true when it was the last one. With the lock held. */
static bool arrive(local_operation *operation, int n, int member, const kpar_whole *whole, local_request *own)
{
    operation->members[member] = *whole;
    operation->requests[member] = own;
    own->operation = operation;
    if (++operation->arrived < n) return false;
    for (int m = 1; m < n; m++)
        if (!same(&operation->members[0], &operation->members[m])) operation->agreed = false;
    return true;
}

kpar_status kpar_local_start_collective(kpar_comm *comm, int group_number, const kpar_whole *whole, kpar_request *request)
{
    local_world *world = kpar_local_world(comm);
    local_request *own = (local_request *)request;
    if (whole->collective != KPAR_COLLECTIVE_ALL_GATHER && !kpar_combine(whole->dtype, whole->reduction, NULL, NULL, 0))
        return kpar_fail(KPAR_EUNSUPPORTED, "a whole %s cannot add up %s: choose another algorithm",
                         kpar_collective_name(whole->collective), kpar_dtype_name(whole->dtype));
    atomic_store_explicit(&own->done, false, memory_order_relaxed);
    pthread_mutex_lock(&world->lock);
    local_group *group = own->group = world->groups[group_number];
    int member = 0;
    while (group->ranks[member] != comm->rank) member++;
    local_operation *operation = find(group, group->started[member]++);
    bool last = arrive(operation, group->n, member, whole, own);
    if (!kpar_local_busy_begin(world)) return kpar_local_ended(world);
    if (last && operation->agreed) perform(operation, group->n);
    for (int m = 0; last && m < group->n; m++)
        atomic_store_explicit(&operation->requests[m]->done, true, memory_order_release);
    kpar_local_busy_end(world);
    return KPAR_OK;
}
