/* Groups of whole collectives. Making a group known is a call of all ranks, also of those outside, so all ranks first
 * learn of all groups; then each is made known, rank by rank. */
#include "run/executor_internal.h"

#include <string.h>

/* A rank's groups as numbers: for each program and group its size and its ranks. */
typedef struct numbers {
    int *items;
    size_t n, capacity;
} numbers;

static void add_groups(const kpar_executor *executor, numbers *own)
{
    for (int p = 0; p < executor->n_programs; p++) {
        const kpar_program *program = executor->programs[p].program;
        for (size_t g = 0; g < program->n_groups; g++) {
            const kpar_group *group = &program->groups[g];
            KPAR_PUSH(own->items, own->n, own->capacity) = group->n;
            for (int i = 0; i < group->n; i++) KPAR_PUSH(own->items, own->n, own->capacity) = group->ranks[i];
        }
    }
}

/* All ranks' numbers, each padded with zeros to the longest of them. */
static kpar_status exchange(kpar_comm *comm, const numbers *own, int **all, size_t *longest)
{
    size_t size = (size_t)kpar_comm_size(comm);
    size_t *lengths = kpar_alloc(size * sizeof *lengths);
    kpar_status status = kpar_comm_all_gather(comm, &own->n, lengths, sizeof *lengths);
    *longest = 0;
    for (size_t i = 0; i < size && status == KPAR_OK; i++)
        if (lengths[i] > *longest) *longest = lengths[i];
    kpar_free(lengths);
    if (status != KPAR_OK || *longest == 0) return status;
    int *padded = kpar_alloc_zeroed(*longest, sizeof *padded);
    if (own->n > 0) memcpy(padded, own->items, own->n * sizeof *padded);
    *all = kpar_alloc(size * *longest * sizeof **all);
    status = kpar_comm_all_gather(comm, padded, *all, *longest * sizeof *padded);
    kpar_free(padded);
    return status;
}

/* Makes the groups of one rank known; `made`: where their numbers go, NULL: the rank is another one. */
static kpar_status make_known(kpar_comm *comm, const int *all, size_t length, int *made)
{
    for (size_t at = 0; at < length && all[at] > 0; at += (size_t)all[at] + 1) {
        int number;
        KPAR_TRY(kpar_comm_group(comm, all + at + 1, all[at], &number));
        if (made) *made++ = number;
    }
    return KPAR_OK;
}

/* Room for the numbers of all programs' groups, which lie one after the other. */
static int *make_room(kpar_executor *executor)
{
    size_t n = 0;
    for (int p = 0; p < executor->n_programs; p++) n += executor->programs[p].program->n_groups;
    int *room = kpar_arena_alloc(executor->arena, n * sizeof *room), *next = room;
    for (int p = 0; p < executor->n_programs; p++) {
        executor->programs[p].groups = next;
        next += executor->programs[p].program->n_groups;
    }
    return room;
}

kpar_status kpar_executor_make_groups(kpar_executor *executor)
{
    kpar_comm *comm = executor->comm;
    numbers own = {0};
    int *all = NULL, *made = make_room(executor);
    size_t longest;
    add_groups(executor, &own);
    kpar_status status = exchange(comm, &own, &all, &longest);
    for (int rank = 0; rank < kpar_comm_size(comm) && status == KPAR_OK && all; rank++)
        status = make_known(comm, all + (size_t)rank * longest, longest,
                            rank == kpar_comm_rank(comm) ? made : NULL);
    kpar_free(own.items);
    kpar_free(all);
    return status;
}
