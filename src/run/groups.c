/* Groups of whole collectives. Making a group known is a call of all ranks, also of those outside, so all ranks first
 * learn of all groups; then each group is made once, in the order of the first rank that names it. */
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

typedef struct known {
    const int *group; /* size, ranks */
    int number;
} known;

typedef struct known_list {
    known *items;
    size_t n, capacity;
} known_list;

static bool same(const int *a, const int *b)
{
    return a[0] == b[0] && memcmp(a + 1, b + 1, (size_t)a[0] * sizeof *a) == 0;
}

static const known *find(const known_list *list, const int *group)
{
    for (size_t i = 0; i < list->n; i++)
        if (same(list->items[i].group, group)) return &list->items[i];
    return NULL;
}

static kpar_status make_known(kpar_comm *comm, const int *all, size_t length, known_list *list)
{
    for (size_t at = 0; at < length && all[at] > 0; at += (size_t)all[at] + 1) {
        if (find(list, all + at)) continue;
        known added = {.group = all + at};
        KPAR_TRY(kpar_comm_group(comm, all + at + 1, all[at], &added.number));
        KPAR_PUSH(list->items, list->n, list->capacity) = added;
    }
    return KPAR_OK;
}

static void take_numbers(kpar_executor *executor, const numbers *own, const known_list *list)
{
    const int *at = own->items;
    for (int p = 0; p < executor->n_programs; p++) {
        kpar_loaded *loaded = &executor->programs[p];
        loaded->groups =
            kpar_arena_alloc(executor->arena, loaded->program->n_groups * sizeof *loaded->groups);
        for (size_t g = 0; g < loaded->program->n_groups; g++, at += at[0] + 1)
            loaded->groups[g] = find(list, at)->number;
    }
}

kpar_status kpar_executor_make_groups(kpar_executor *executor)
{
    numbers own = {0};
    known_list list = {0};
    int *all = NULL;
    size_t longest;
    add_groups(executor, &own);
    kpar_status status = exchange(executor->comm, &own, &all, &longest);
    for (size_t rank = 0; rank < (size_t)kpar_comm_size(executor->comm) && status == KPAR_OK; rank++)
        status = make_known(executor->comm, all ? all + rank * longest : NULL, all ? longest : 0, &list);
    if (status == KPAR_OK) take_numbers(executor, &own, &list);
    kpar_free(own.items);
    kpar_free(list.items);
    kpar_free(all);
    return status;
}
