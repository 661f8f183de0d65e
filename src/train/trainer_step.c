/* One step of any mode. */
#include "train/trainer_internal.h"

#include <signal.h>
#include <string.h>

static volatile sig_atomic_t stop_asked;

void kpar_trainer_stop(void) { stop_asked = 1; }

/* A number may have several parts: the loss and the penalties on weights, which lie on the stages of their layers. */
static void read_reports(kpar_trainer *t, kpar_mode mode, double *sums)
{
    const kpar_program *p = t->programs[mode];
    for (size_t i = 0; i < p->n_slots; i++) {
        const kpar_slot *slot = &p->slots[i];
        if (slot->kind != KPAR_SLOT_REPORT || !slot->owner) continue;
        const char *memory = kpar_executor_memory(t->executor, &slot->place);
        const size_t n = (size_t)kpar_count(slot->tensor.rank, slot->tensor.dims);
        for (size_t k = 0; k < n; k++) {
            double part;
            kpar_convert(&part, KPAR_F64, memory + k * kpar_dtype_bytes(slot->tensor.dtype),
                         slot->tensor.dtype, 1);
            sums[(size_t)slot->index + k] += part;
        }
    }
}

/* The rank that tells where the first values that are not finite come from: of those that have found a source, the first of
 * the lowest stage; rank 0 if none has. */
static kpar_status choose_teller(kpar_trainer *t, bool found, int *teller)
{
    const int size = kpar_comm_size(t->comm);
    int *stages = kpar_alloc((size_t)size * sizeof *stages);
    const int none = t->options.plan.mesh.pipeline, own = found ? t->me.pipeline : none;
    kpar_status status = kpar_comm_all_gather(t->comm, &own, stages, sizeof own);
    *teller = 0;
    for (int i = 1; i < size && status == KPAR_OK; i++)
        if (stages[i] < stages[*teller]) *teller = i;
    kpar_free(stages);
    return status;
}

static kpar_status tell_source(const kpar_trainer *t, const char *layer)
{
    const bool known = layer && *layer;
    return kpar_fail(KPAR_ENUMERIC,
                     "step %lld: the loss is not finite; the first values that are not finite come from "
                     "%s%s%s; lower the learning rate or look at the data",
                     (long long)t->steps_done + 1, known ? "layer '" : "the loss itself", known ? layer : "",
                     known ? "'" : "");
}

/* The others are inside the step. */
static kpar_status abort_step(kpar_trainer *t, kpar_status status)
{
    if (status != KPAR_OK) kpar_comm_abort(t->comm, status);
    return status;
}

/* A step whose loss is not finite has changed no state: it is run again, looking at every kernel. Collective. */
static kpar_status explain_not_finite(kpar_trainer *t, kpar_mode mode, const kpar_batch *batch)
{
    int source, teller;
    KPAR_TRY(abort_step(t, kpar_trainer_fill(t, mode, batch)));
    kpar_status status = kpar_executor_examine(t->executor, t->program_index[mode], &source);
    if (status != KPAR_ENUMERIC) KPAR_TRY(abort_step(t, status));
    KPAR_TRY(choose_teller(t, source >= 0, &teller));
    status = KPAR_OK;
    if (kpar_comm_rank(t->comm) == teller)
        status = tell_source(t, source >= 0 ? t->programs[mode]->instructions[source].layer : NULL);
    return kpar_comm_agree(t->comm, status);
}

kpar_status kpar_trainer_step(kpar_trainer *t, kpar_mode mode, const kpar_batch *batch, double *sums,
                              bool *stop)
{
    int n, values;
    kpar_plan_reports(t->plan, mode, &n, &values);
    memset(t->sums, 0, (size_t)values * sizeof *t->sums);
    KPAR_TRY(abort_step(t, kpar_trainer_fill(t, mode, batch)));
    kpar_status status = kpar_executor_run(t->executor, t->program_index[mode]);
    if (status != KPAR_ENUMERIC) KPAR_TRY(abort_step(t, status));
    read_reports(t, mode, t->sums);
    t->sums[values] = stop_asked;
    t->sums[values + 1] = status == KPAR_ENUMERIC;
    KPAR_TRY(kpar_comm_sum(t->comm, t->sums, values + 2));
    if (t->sums[values + 1] != 0) return explain_not_finite(t, mode, batch);
    memcpy(sums, t->sums, (size_t)values * sizeof *sums);
    if (stop) *stop = t->sums[values] != 0;
    if (mode == KPAR_MODE_TRAIN) t->steps_done++;
    return KPAR_OK;
}
