/* Checkpoints of a running fit: each rank writes what it owns, rank 0 the manifest; any mesh reads what any mesh wrote. */
#include "train/checkpoint_file.h"
#include "train/checkpoint_internal.h"
#include "train/trainer_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IDENTITY = 5, NOTES = 2 };

/* Notes. */
static const char arithmetic_note[] = "reproducible", tally_note[] = "sums of the epoch so far";

struct kpar_checkpointing {
    kpar_trainer *t;
    const kpar_fit_options *fit;
    kpar_report *report;
    kpar_checkpoint_lock *lock; /* rank 0 */
    kpar_named_text identity[IDENTITY];
    kpar_arena *arena;
};

static bool is_root(const kpar_checkpointing *c) { return kpar_comm_rank(c->t->comm) == 0; }

static kpar_status say(const kpar_checkpointing *c, const char *text)
{
    return c->report && is_root(c) ? kpar_report_message(c->report, "%s", text) : KPAR_OK;
}

/* What a resume must have in common with the run that wrote the checkpoint. */
static void identify(kpar_checkpointing *c)
{
    kpar_trainer *t = c->t;
    char *optimizer =
        t->model->optimizer ? json_dumps(t->model->optimizer, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    c->identity[0] = (kpar_named_text){
        "model", kpar_arena_printf(c->arena, "%016llx", (unsigned long long)kpar_model_hash(t->model))};
    c->identity[1] = (kpar_named_text){
        "data",
        kpar_arena_printf(c->arena, "%016llx", (unsigned long long)kpar_dataset_hash(c->fit->train.dataset))};
    c->identity[2] = (kpar_named_text){
        "batch size", kpar_arena_printf(c->arena, "%lld", (long long)t->options.plan.batch_size)};
    c->identity[3] =
        (kpar_named_text){"seed", kpar_arena_printf(c->arena, "%llu", (unsigned long long)c->fit->seed)};
    c->identity[4] =
        (kpar_named_text){"optimizer", kpar_arena_strdup(c->arena, optimizer ? optimizer : "none")};
    free(optimizer);
}

static kpar_status read_slots(kpar_trainer *t, kpar_checkpoint *checkpoint)
{
    const kpar_program *p = kpar_trainer_any_program(t);
    for (size_t i = 0; i < p->n_slots; i++) {
        const kpar_slot *slot = &p->slots[i];
        if (!kpar_trainer_fills(p, i)) continue;
        const kpar_variable *v = &t->catalog->variables[slot->index];
        KPAR_TRY(kpar_checkpoint_read(checkpoint, v->path, slot->tensor.dtype, v->rank, v->dims, &slot->slice,
                                      kpar_executor_memory(t->executor, &slot->place)));
    }
    return KPAR_OK;
}

/* A reproducible run goes on only from one that computed alike; any other run goes on from both. */
static kpar_status check_arithmetic(const kpar_checkpointing *c, const kpar_checkpoint *checkpoint)
{
    const char *here = c->t->arithmetic, *there = kpar_checkpoint_note(checkpoint, arithmetic_note);
    if (!*here || (there && strcmp(here, there) == 0)) return KPAR_OK;
    return kpar_fail(KPAR_EUSAGE,
                     "%s: reproducible is %s there and %s here; bits would differ: compute alike, or go on "
                     "without --reproducible",
                     kpar_checkpoint_folder(checkpoint), there ? there : "not given", here);
}

/* Rank 0 finds the newest good one; its folder's name goes to all ("" for none). */
static kpar_status find(kpar_checkpointing *c, char *folder, size_t capacity)
{
    kpar_text messages = {0};
    kpar_checkpoint *checkpoint = NULL;
    kpar_status status = KPAR_OK;
    memset(folder, 0, capacity);
    if (is_root(c)) {
        status = kpar_checkpoint_find(c->fit->checkpoint, &checkpoint, &messages);
        if (status == KPAR_OK && checkpoint) {
            status = kpar_checkpoint_check(checkpoint, c->identity, IDENTITY);
            if (status == KPAR_OK) status = check_arithmetic(c, checkpoint);
            strncpy(folder, kpar_checkpoint_folder(checkpoint), capacity - 1);
        }
        for (char *line = strtok(messages.bytes ? messages.bytes : (char[]){""}, "\n");
             line && status == KPAR_OK; line = strtok(NULL, "\n"))
            status = say(c, line);
        kpar_checkpoint_close(checkpoint);
        kpar_text_clear(&messages);
    }
    KPAR_TRY(kpar_comm_agree(c->t->comm, status));
    return kpar_comm_broadcast(c->t->comm, folder, capacity, 0);
}

static kpar_status restore(kpar_checkpointing *c, const char *folder, kpar_progress_point *start)
{
    kpar_checkpoint *checkpoint = NULL;
    kpar_status status = kpar_checkpoint_open(folder, &checkpoint);
    if (status == KPAR_OK) status = read_slots(c->t, checkpoint);
    if (status == KPAR_OK) {
        const kpar_checkpoint_facts *facts = kpar_checkpoint_get_facts(checkpoint);
        const char *sums = kpar_checkpoint_note(checkpoint, tally_note);
        start->step = facts->step;
        start->epoch = facts->epoch;
        start->batch = facts->batch;
        if (sums) kpar_tally_read(&start->tally, sums);
        c->t->steps_done = kpar_trainer_iteration(c->t);
    }
    kpar_checkpoint_close(checkpoint);
    return kpar_comm_agree(c->t->comm, status);
}

static kpar_status resume(kpar_checkpointing *c, kpar_progress_point *start)
{
    char folder[4096], line[4400];
    KPAR_TRY(find(c, folder, sizeof folder));
    if (!*folder) {
        snprintf(line, sizeof line, "%s: no checkpoint yet, training starts afresh", c->fit->checkpoint);
        return kpar_comm_agree(c->t->comm, say(c, line));
    }
    KPAR_TRY(restore(c, folder, start));
    snprintf(line, sizeof line, "resumed from %s at step %lld", folder, (long long)start->step);
    return kpar_comm_agree(c->t->comm, say(c, line));
}

/* Without --resume a run would in time remove what an earlier one saved. */
static kpar_status refuse_finished(const kpar_checkpointing *c)
{
    kpar_step_folders folders;
    const char *found = NULL;
    KPAR_TRY(kpar_step_folders_list(c->fit->checkpoint, &folders));
    for (size_t i = 0; i < folders.n && !found; i++)
        if (folders.items[i].finished) found = kpar_arena_strdup(c->arena, folders.items[i].path);
    kpar_step_folders_clear(&folders);
    if (!found) return KPAR_OK;
    return kpar_fail(
        KPAR_EUSAGE,
        "%s: is the checkpoint of an earlier run; go on from it with --resume, or give another --checkpoint",
        found);
}

kpar_status kpar_checkpointing_begin(kpar_trainer *trainer, const kpar_fit_options *fit, kpar_report *report,
                                     kpar_checkpointing **checkpointing, kpar_progress_point *start)
{
    kpar_checkpointing *c = kpar_alloc_zeroed(1, sizeof *c);
    *c = (kpar_checkpointing){.t = trainer, .fit = fit, .report = report, .arena = kpar_arena_create()};
    *checkpointing = c;
    identify(c);
    KPAR_TRY(kpar_comm_agree(trainer->comm,
                             is_root(c) ? kpar_checkpoint_lock_take(fit->checkpoint, &c->lock) : KPAR_OK));
    if (fit->resume) return resume(c, start);
    return kpar_comm_agree(trainer->comm, is_root(c) ? refuse_finished(c) : KPAR_OK);
}

static kpar_status write_own(kpar_checkpointing *c, int64_t step, kpar_text *pieces)
{
    kpar_trainer *t = c->t;
    const kpar_program *p = kpar_trainer_any_program(t);
    kpar_checkpoint_writer *writer;
    KPAR_TRY(kpar_checkpoint_writer_open(c->fit->checkpoint, step, kpar_comm_rank(t->comm), &writer));
    for (size_t i = 0; i < p->n_slots; i++) {
        const kpar_slot *slot = &p->slots[i];
        if (slot->kind != KPAR_SLOT_VARIABLE || !slot->owner) continue;
        const kpar_variable *v = &t->catalog->variables[slot->index];
        kpar_status status =
            kpar_checkpoint_write_piece(writer, v->path, slot->tensor.dtype, v->rank, v->dims, &slot->slice,
                                        kpar_executor_memory(t->executor, &slot->place));
        if (status != KPAR_OK) {
            kpar_checkpoint_writer_abandon(writer);
            return status;
        }
    }
    return kpar_checkpoint_writer_close(writer, pieces);
}

/* Rank 0: what makes the checkpoint count. */
static kpar_status commit(kpar_checkpointing *c, const kpar_progress_point *now, char **lists)
{
    kpar_text sums = {0};
    kpar_named_text notes[NOTES];
    kpar_checkpoint_facts facts = {.step = now->step,
                                   .epoch = now->epoch,
                                   .batch = now->batch,
                                   .identity = c->identity,
                                   .n_identity = IDENTITY,
                                   .notes = notes};
    if (*c->t->arithmetic) notes[facts.n_notes++] = (kpar_named_text){arithmetic_note, c->t->arithmetic};
    if (now->batch > 0) {
        kpar_tally_write(&now->tally, &sums);
        notes[facts.n_notes++] = (kpar_named_text){tally_note, kpar_text_get(&sums)};
    }
    kpar_status status = kpar_checkpoint_commit(c->fit->checkpoint, &facts, (const char *const *)lists,
                                                kpar_comm_size(c->t->comm), KPAR_CHECKPOINT_KEEP);
    kpar_text_clear(&sums);
    return status;
}

/* The piece lists of all ranks on rank 0, which commits. */
static kpar_status gather_and_commit(kpar_checkpointing *c, const kpar_progress_point *now,
                                     const kpar_text *own)
{
    kpar_comm *comm = c->t->comm;
    const int size = kpar_comm_size(comm);
    uint64_t length = own->length + 1;
    if (!is_root(c)) {
        KPAR_TRY(kpar_comm_send(comm, &length, sizeof length, 0));
        return kpar_comm_send(comm, kpar_text_get(own), (size_t)length, 0);
    }
    char **lists = kpar_alloc_zeroed((size_t)size, sizeof *lists);
    kpar_status status = KPAR_OK;
    lists[0] = kpar_strdup(kpar_text_get(own));
    for (int rank = 1; rank < size && status == KPAR_OK; rank++) {
        status = kpar_comm_receive(comm, &length, sizeof length, rank);
        if (status != KPAR_OK) break;
        lists[rank] = kpar_alloc((size_t)length);
        status = kpar_comm_receive(comm, lists[rank], (size_t)length, rank);
    }
    if (status == KPAR_OK) status = commit(c, now, lists);
    for (int rank = 0; rank < size; rank++) kpar_free(lists[rank]);
    kpar_free(lists);
    return status;
}

kpar_status kpar_checkpointing_save(kpar_checkpointing *c, const kpar_progress_point *now)
{
    kpar_comm *comm = c->t->comm;
    kpar_text pieces = {0};
    KPAR_TRY(kpar_trainer_compare_replicas(c->t));
    KPAR_TRY(
        kpar_comm_agree(comm, is_root(c) ? kpar_checkpoint_begin(c->fit->checkpoint, now->step) : KPAR_OK));
    kpar_status status = kpar_comm_agree(comm, write_own(c, now->step, &pieces));
    if (status == KPAR_OK) status = kpar_comm_agree(comm, gather_and_commit(c, now, &pieces));
    kpar_text_clear(&pieces);
    if (status != KPAR_OK || !c->report || !is_root(c)) return kpar_comm_agree(comm, status);
    const char *folder =
        kpar_arena_printf(c->arena, "%s/step-%08lld", c->fit->checkpoint, (long long)now->step);
    return kpar_comm_agree(
        comm, kpar_report_event(c->report, &(kpar_event){.kind = KPAR_EVENT_CHECKPOINT, .text = folder}));
}

void kpar_checkpointing_end(kpar_checkpointing *c)
{
    kpar_checkpoint_lock_release(c->lock);
    kpar_arena_destroy(c->arena);
    kpar_free(c);
}
