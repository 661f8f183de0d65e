/* One step of any mode. */
#include "train/trainer_internal.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static volatile sig_atomic_t stop_asked;

void kpar_trainer_stop(void) { stop_asked = 1; }

static void read_reports(kpar_trainer *t, kpar_mode mode, double *sums)
{
    const kpar_program *p = t->programs[mode];
    for (size_t i = 0; i < p->n_slots; i++) {
        const kpar_slot *slot = &p->slots[i];
        if (slot->kind != KPAR_SLOT_REPORT || !slot->owner) continue;
        kpar_convert(&sums[slot->index], KPAR_F64, kpar_executor_memory(t->executor, &slot->place),
                     slot->tensor.dtype, (size_t)kpar_count(slot->tensor.rank, slot->tensor.dims));
    }
}

/* What another rank sent may come from any layer before the one that it sent. */
static void tell_source(const kpar_instruction *in, char *text, size_t capacity)
{
    if (!*in->layer) return;
    if (in->kind == KPAR_INSTRUCTION_RECEIVE)
        snprintf(text, capacity, "layer '%s' or one before it (received from rank %d)", in->layer, in->peer);
    else
        snprintf(text, capacity, "layer '%s'", in->layer);
}

/* A run that met a value that is not finite has stopped before the update: which layer does it come from? */
static kpar_status explain_not_finite(kpar_trainer *t, kpar_mode mode, kpar_status status)
{
    if (status != KPAR_ENUMERIC) return status;
    const int index = kpar_executor_first_not_finite(t->executor, t->program_index[mode]);
    char source[512] = "the loss itself";
    if (index >= 0) tell_source(&t->programs[mode]->instructions[index], source, sizeof source);
    return kpar_fail(status,
                     "step %lld: the loss is not finite; the first values that are not finite come from %s; "
                     "lower the learning rate or look at the data",
                     (long long)t->steps_done + 1, source);
}

kpar_status kpar_trainer_step(kpar_trainer *t, kpar_mode mode, const kpar_batch *batch, double *sums,
                              bool *stop)
{
    int n, values;
    kpar_plan_reports(t->plan, mode, &n, &values);
    memset(t->sums, 0, (size_t)(values + 1) * sizeof *t->sums);
    kpar_status status = kpar_trainer_fill(t, mode, batch);
    if (status != KPAR_OK) kpar_comm_abort(t->comm, status); /* the others are inside the step */
    KPAR_TRY(status);
    status = explain_not_finite(t, mode, kpar_executor_run(t->executor, t->program_index[mode]));
    if (status != KPAR_OK) kpar_comm_abort(t->comm, status);
    KPAR_TRY(status);
    read_reports(t, mode, t->sums);
    t->sums[values] = stop_asked;
    KPAR_TRY(kpar_comm_sum(t->comm, t->sums, values + 1));
    memcpy(sums, t->sums, (size_t)values * sizeof *sums);
    if (stop) *stop = t->sums[values] != 0;
    if (mode == KPAR_MODE_TRAIN) t->steps_done++;
    return KPAR_OK;
}
