/* Whole collectives of ranks of one process: the member that comes last computes everything, block by
 * block, adding in member order. Plain and deterministic. */
#include "comm/local_internal.h"

#include "base/memory.h"

#include <string.h>

/* The k-th collective of a group, while members arrive. */
typedef struct operation {
    struct operation *next;
    uint64_t number; /* k */
    int arrived;
    kpar_whole *members; /* n */
    local_request **requests;
} operation;

struct local_group {
    int n;
    int *ranks;
    uint64_t *started; /* by member: how many it has started */
    operation *active, *idle;
};

static operation *operation_create(int n)
{
    operation *o = kpar_alloc_zeroed(1, sizeof *o);
    o->members = kpar_alloc_zeroed((size_t)n, sizeof *o->members);
    o->requests = kpar_alloc_zeroed((size_t)n, sizeof(local_request *));
    return o;
}

/* With operations enough for what is usually under way, so that a replay makes none. */
static local_group *group_create(const int *ranks, int n)
{
    enum { UNDER_WAY = 16 };
    local_group *group = kpar_alloc_zeroed(1, sizeof *group);
    group->n = n;
    group->ranks = kpar_alloc((size_t)n * sizeof *ranks);
    memcpy(group->ranks, ranks, (size_t)n * sizeof *ranks);
    group->started = kpar_alloc_zeroed((size_t)n, sizeof *group->started);
    for (int k = 0; k < UNDER_WAY; k++) {
        operation *o = operation_create(n);
        o->next = group->idle;
        group->idle = o;
    }
    return group;
}

static void free_operations(operation *first)
{
    for (operation *o = first, *next; o; o = next) {
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

/* The group's collective of this number, begun if nobody has. */
static operation *find(local_group *group, uint64_t number)
{
    for (operation *o = group->active; o; o = o->next)
        if (o->number == number) return o;
    operation *o = group->idle;
    if (o)
        group->idle = o->next;
    else
        o = operation_create(group->n);
    o->number = number;
    o->arrived = 0;
    o->next = group->active;
    group->active = o;
    return o;
}

/* The requests are done and belong to their ranks; the operation may serve again. */
static void give_back(local_group *group, operation *done)
{
    operation **link = &group->active;
    while (*link != done) link = &(*link)->next;
    *link = done->next;
    done->next = group->idle;
    group->idle = done;
}

/* Elements [first, first + count) of all inputs combined, in `sum`. */
static void combine(const operation *o, int n, size_t first, size_t count, void *sum)
{
    const kpar_whole *whole = &o->members[0];
    size_t bytes = kpar_dtype_bytes(whole->dtype);
    memcpy(sum, (const unsigned char *)whole->input + first * bytes, count * bytes);
    for (int m = 1; m < n; m++) {
        const unsigned char *input = o->members[m].input;
        kpar_combine(whole->dtype, whole->reduction, sum, input + first * bytes, count);
    }
}

/* Combines a range and hands it to members [begin, end), at element `target` of their outputs. */
static void reduce_range(const operation *o, int n, size_t first, size_t count, int begin, int end,
                         size_t target)
{
    enum { BLOCK = 1024 };
    uint64_t sum[BLOCK]; /* the largest type has 8 bytes */
    size_t bytes = kpar_dtype_bytes(o->members[0].dtype);
    for (size_t done = 0, block; done < count; done += block) {
        block = count - done < BLOCK ? count - done : BLOCK;
        combine(o, n, first + done, block, sum);
        for (int m = begin; m < end; m++)
            memcpy((unsigned char *)o->members[m].output + (target + done) * bytes, sum, block * bytes);
    }
}

static void gather(const operation *o, int n)
{
    size_t bytes = kpar_dtype_bytes(o->members[0].dtype), first = 0;
    for (int from = 0; from < n; from++) {
        size_t count = o->members[0].counts[from];
        const unsigned char *input = o->members[from].input;
        for (int to = 0; to < n; to++) {
            unsigned char *part = (unsigned char *)o->members[to].output + first * bytes;
            if (part != input && count) memcpy(part, input, count * bytes);
        }
        first += count;
    }
}

static void scatter(const operation *o, int n)
{
    size_t first = 0;
    for (int m = 0; m < n; m++) {
        size_t count = o->members[0].counts[m];
        reduce_range(o, n, first, count, m, m + 1, 0);
        first += count;
    }
}

static void perform(const operation *o, int n)
{
    switch (o->members[0].collective) {
    case KPAR_COLLECTIVE_ALL_REDUCE:
        reduce_range(o, n, 0, o->members[0].total, 0, n, 0);
        break;
    case KPAR_COLLECTIVE_REDUCE_SCATTER:
        scatter(o, n);
        break;
    case KPAR_COLLECTIVE_ALL_GATHER:
        gather(o, n);
        break;
    case KPAR_COLLECTIVE_COUNT:
        break;
    }
}

static bool same(const kpar_whole *a, const kpar_whole *b)
{
    return a->collective == b->collective && a->reduction == b->reduction && a->dtype == b->dtype &&
           a->total == b->total;
}

static void finish(const operation *o, int n)
{
    bool agreed = true;
    for (int m = 1; m < n; m++) agreed = agreed && same(&o->members[0], &o->members[m]);
    if (agreed) perform(o, n);
    for (int m = 0; m < n; m++) {
        o->requests[m]->agreed = agreed;
        atomic_store_explicit(&o->requests[m]->done, true, memory_order_release);
    }
}

/* This member's next collective of the group, with its part noted in it. With the lock held. */
static operation *arrive(local_group *group, int rank, const kpar_whole *whole, local_request *own)
{
    int member = 0;
    while (group->ranks[member] != rank) member++;
    operation *o = find(group, group->started[member]++);
    o->members[member] = *whole;
    o->requests[member] = own;
    o->arrived++;
    return o;
}

kpar_status kpar_local_start_collective(kpar_comm *comm, int number, const kpar_whole *whole,
                                        kpar_request *request)
{
    local_world *world = kpar_local_world(comm);
    local_request *own = (local_request *)request;
    if (whole->collective != KPAR_COLLECTIVE_ALL_GATHER &&
        !kpar_combine(whole->dtype, whole->reduction, NULL, NULL, 0))
        return kpar_fail(KPAR_EUNSUPPORTED, "a whole %s cannot add up %s: choose another algorithm",
                         kpar_collective_name(whole->collective), kpar_dtype_name(whole->dtype));
    own->collective = true;
    atomic_store_explicit(&own->done, false, memory_order_relaxed);
    pthread_mutex_lock(&world->lock);
    local_group *group = world->groups[number];
    operation *o = arrive(group, comm->rank, whole, own);
    const bool last = o->arrived == group->n;
    if (!kpar_local_busy_begin(world)) return kpar_local_ended(world);
    if (last) finish(o, group->n);
    pthread_mutex_lock(&world->lock);
    if (last) give_back(group, o);
    pthread_mutex_unlock(&world->lock);
    kpar_local_busy_end(world);
    return KPAR_OK;
}
