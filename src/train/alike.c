/* Whether all ranks were started alike: with the same version, model, data and options. */
#include "train/trainer_internal.h"

#include "base/hash.h"

#include <string.h>

enum { TEXT_BYTES = 4096 };

/* A line a fact, cut where there are too many. */
static void write_facts(const kpar_named_text *facts, size_t n, char text[TEXT_BYTES])
{
    kpar_text lines = {0};
    for (size_t i = 0; i < n; i++) kpar_text_printf(&lines, "%s %s\n", facts[i].name, facts[i].value);
    memset(text, 0, TEXT_BYTES);
    memcpy(text, kpar_text_get(&lines), lines.length < TEXT_BYTES ? lines.length : TEXT_BYTES - 1);
    kpar_text_clear(&lines);
}

/* "rank 3 has batch size 16, rank 0 has batch size 8", of the first line in which the two differ. */
static kpar_status refuse(int rank, const char *its, const char *first)
{
    while (*first && strcspn(its, "\n") == strcspn(first, "\n") &&
           strncmp(its, first, strcspn(first, "\n")) == 0) {
        its += strcspn(its, "\n") + 1;
        first += strcspn(first, "\n") + 1;
    }
    return kpar_fail(
        KPAR_EUSAGE,
        "rank %d has %.*s, rank 0 has %.*s: start all ranks with the same model, data, options and version",
        rank, (int)strcspn(its, "\n"), its, (int)strcspn(first, "\n"), first);
}

/* Ranks know by hashes whether there is anything to say. */
static kpar_status find_hashes(kpar_trainer *t, const char *own, bool *equal)
{
    const int size = kpar_comm_size(t->comm);
    const uint64_t hash = kpar_hash(KPAR_HASH_START, own, TEXT_BYTES);
    uint64_t *all = kpar_alloc((size_t)size * sizeof *all);
    kpar_status status = kpar_comm_all_gather(t->comm, &hash, all, sizeof hash);
    *equal = true;
    for (int rank = 1; rank < size && status == KPAR_OK; rank++)
        if (all[rank] != all[0]) *equal = false;
    kpar_free(all);
    return status;
}

static kpar_status compare_facts(kpar_trainer *t, const kpar_named_text *facts, size_t n)
{
    const size_t size = (size_t)kpar_comm_size(t->comm);
    char own[TEXT_BYTES];
    bool equal;
    write_facts(facts, n, own);
    KPAR_TRY(find_hashes(t, own, &equal));
    if (equal) return KPAR_OK;
    char *all = kpar_alloc(size * TEXT_BYTES);
    kpar_status status = kpar_comm_all_gather(t->comm, own, all, TEXT_BYTES);
    for (size_t rank = 1; rank < size && status == KPAR_OK; rank++)
        if (memcmp(all, all + rank * TEXT_BYTES, TEXT_BYTES) != 0)
            status = refuse((int)rank, all + rank * TEXT_BYTES, all);
    kpar_free(all);
    return kpar_comm_agree(t->comm, status);
}

static const char *number(kpar_trainer *t, int64_t value)
{
    return kpar_arena_printf(t->arena, "%lld", (long long)value);
}

static const char *hash_text(kpar_trainer *t, uint64_t hash)
{
    return kpar_arena_printf(t->arena, "%016llx", (unsigned long long)hash);
}

/* What differs in the plan alone comes last: its hash says no more. */
kpar_status kpar_trainer_compare_starts(kpar_trainer *t)
{
    const kpar_plan_options *o = &t->options.plan;
    const char *mesh =
        kpar_arena_printf(t->arena, "%d x %d x %d", o->mesh.data, o->mesh.pipeline, o->mesh.tensor);
    const kpar_named_text facts[] = {
        {"version", PACKAGE_VERSION},
        {"the model with hash", hash_text(t, kpar_model_hash(t->model))},
        {"mesh", mesh},
        {"batch size", number(t, o->batch_size)},
        {"microbatches", number(t, o->microbatches)},
        {"reproducible", number(t, o->leaves)},
        {"zero", number(t, o->zero)},
        {"seed", number(t, (int64_t)o->seed)},
        {"schedule", o->schedule ? o->schedule->name : "1f1b"},
        {"device", o->device->name},
        {"weights in", t->options.weights ? t->options.weights : "the model's file"},
        {"the plan with hash", hash_text(t, kpar_plan_hash(t->plan))},
    };
    return compare_facts(t, facts, sizeof facts / sizeof facts[0]);
}

kpar_status kpar_trainer_compare_fits(kpar_trainer *t, const kpar_fit_options *o)
{
    const kpar_named_text facts[] = {
        {"rows to train on", number(t, o->train.rows)},
        {"rows to validate on", number(t, o->validation.rows)},
        {"data with hash", hash_text(t, kpar_dataset_hash(o->train.dataset))},
        {"epochs", number(t, o->epochs)},
        {"steps", number(t, o->steps)},
        {"shuffling", o->shuffle ? "on" : "off"},
        {"a seed of the order", number(t, (int64_t)o->seed)},
        {"resuming", o->resume ? "on" : "off"},
        {"steps from checkpoint to checkpoint", number(t, o->checkpoint_every)},
        {"checkpoints in", o->checkpoint ? o->checkpoint : "no folder"},
        {"output", o->output ? o->output : "none"},
    };
    return compare_facts(t, facts, sizeof facts / sizeof facts[0]);
}
