/* Whether what several ranks hold of a variable is the same on all of them: replicas that drifted apart train on as if
 * nothing were wrong. Ranks compare hashes of their copies. */
#include "train/trainer_internal.h"

#include <stdio.h>
#include <xxhash.h>

/* What a rank holds of a variable; plain data, to be gathered. Zeros: nothing that others hold too. */
typedef struct holding {
    uint64_t part, content;
} holding;

static uint64_t hash_part(const kpar_slice *slice)
{
    const size_t bytes = (size_t)slice->rank * sizeof *slice->start;
    return XXH3_64bits_withSeed(slice->size, bytes, XXH3_64bits_withSeed(slice->start, bytes, 1));
}

/* A shard is its owner's alone, and of memory in common there is one copy. */
static bool has_copies(const kpar_program *p, size_t i)
{
    return p->slots[i].kind == KPAR_SLOT_VARIABLE && !kpar_program_is_shard(p, i) &&
           !kpar_program_in_common(p, &p->slots[i].place);
}

static void find_own(const kpar_trainer *t, holding *own)
{
    const kpar_program *p = kpar_trainer_any_program(t);
    for (size_t i = 0; i < p->n_slots; i++) {
        const kpar_slot *slot = &p->slots[i];
        if (!has_copies(p, i)) continue;
        const size_t bytes =
            (size_t)kpar_count(slot->slice.rank, slot->slice.size) * kpar_dtype_bytes(slot->tensor.dtype);
        own[slot->index] = (holding){hash_part(&slot->slice),
                                     XXH3_64bits(kpar_executor_memory(t->executor, &slot->place), bytes)};
    }
}

/* The first rank that holds the same part of the variable. */
static int first_holder(const kpar_trainer *t, const holding *all, int rank, size_t variable)
{
    const size_t n = (size_t)t->catalog->n;
    int first = 0;
    while (all[(size_t)first * n + variable].part != all[(size_t)rank * n + variable].part) first++;
    return first;
}

static kpar_status refuse(const kpar_trainer *t, int first, int rank, const kpar_variable *v, int others)
{
    char more[64] = "";
    if (others > 0) snprintf(more, sizeof more, " (and of %d more)", others);
    return kpar_fail(
        KPAR_EINTERNAL,
        "step %lld: ranks %d and %d have different values of '%s%s%s' (%s)%s: their copies drifted "
        "apart. Go on from the checkpoint before; if all ranks read the same files, a machine's memory is "
        "at fault, or kpar is",
        (long long)t->steps_done, first, rank, v->layer, *v->layer ? "/" : "", v->name, v->path, more);
}

static kpar_status compare(const kpar_trainer *t, const holding *all)
{
    const size_t n = (size_t)t->catalog->n;
    size_t found = n;
    int ranks[2] = {0}, differing = 0;
    for (size_t v = 0; v < n; v++)
        for (int rank = 1; rank < kpar_comm_size(t->comm); rank++) {
            const int first = first_holder(t, all, rank, v);
            if (all[(size_t)first * n + v].content == all[(size_t)rank * n + v].content) continue;
            if (differing++ == 0) {
                found = v;
                ranks[0] = first;
                ranks[1] = rank;
            }
            break;
        }
    return found == n ? KPAR_OK : refuse(t, ranks[0], ranks[1], &t->catalog->variables[found], differing - 1);
}

kpar_status kpar_trainer_compare_replicas(kpar_trainer *t)
{
    const size_t n = (size_t)t->catalog->n, size = (size_t)kpar_comm_size(t->comm);
    if (size == 1) return KPAR_OK;
    holding *own = kpar_alloc_zeroed(n + 1, sizeof *own), *all = kpar_alloc(size * n * sizeof *all + 1);
    find_own(t, own);
    kpar_status status = kpar_comm_all_gather(t->comm, own, all, n * sizeof *own);
    if (status == KPAR_OK) status = compare(t, all); /* all find the same */
    kpar_free(all);
    kpar_free(own);
    return kpar_comm_agree(t->comm, status);
}
