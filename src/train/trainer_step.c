/* One step of any mode. */
#include "train/trainer_internal.h"

#include <math.h>
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
    return kpar_fail(
        KPAR_ENUMERIC,
        "step %lld: %s; the first values that are not finite come from %s%s%s; lower the learning "
        "rate or look at the data",
        (long long)t->steps_done + 1,
        t->model->loss_scaling ? "a gradient is not finite, however small the loss scale"
                               : "the loss is not finite",
        known ? "layer '" : "the loss itself", known ? layer : "", known ? "'" : "");
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

/* Layer of what writes the slot last. */
static const char *layer_of(const kpar_program *p, const kpar_slot *slot)
{
    for (size_t i = p->n_instructions; i-- > 0;) {
        const kpar_instruction *in = &p->instructions[i];
        for (int w = in->n_places - in->n_writes; w < in->n_places; w++)
            if (in->places[w].rank < 0 && in->places[w].offset == slot->place.offset) return in->layer;
    }
    return "";
}

/* Number of the sum that the loss and the penalties on weights are parts of. */
static int loss_number(const kpar_trainer *t)
{
    int n, values;
    const kpar_report_entry *entries = kpar_plan_reports(t->plan, KPAR_MODE_TRAIN, &n, &values);
    return n > 0 ? entries[0].value : -1;
}

/* The guard saw a finite loss, but a penalty is none: it is known once the step is done. Collective. */
static kpar_status explain_penalty(kpar_trainer *t)
{
    const kpar_program *p = t->programs[KPAR_MODE_TRAIN];
    const char *layer = NULL;
    const int number = loss_number(t);
    for (size_t i = 0; i < p->n_slots && !layer; i++) {
        const kpar_slot *slot = &p->slots[i];
        double part;
        if (slot->kind != KPAR_SLOT_REPORT || !slot->owner || slot->index != number) continue;
        kpar_convert(&part, KPAR_F64, kpar_executor_memory(t->executor, &slot->place), slot->tensor.dtype, 1);
        if (!isfinite(part)) layer = layer_of(p, slot);
    }
    int teller;
    kpar_status status = choose_teller(t, layer != NULL, &teller);
    if (status == KPAR_OK && kpar_comm_rank(t->comm) == teller)
        status = kpar_fail(KPAR_ENUMERIC,
                           "step %lld: the penalty on weights of layer '%s' is not finite; lower its "
                           "regularizer's factor or the learning rate",
                           (long long)t->steps_done + 1, layer ? layer : "");
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
    if (mode == KPAR_MODE_TRAIN && !t->model->loss_scaling && loss_number(t) >= 0 &&
        !isfinite(t->sums[loss_number(t)]))
        return explain_penalty(t);
    memcpy(sums, t->sums, (size_t)values * sizeof *sums);
    if (stop) *stop = t->sums[values] != 0;
    if (mode == KPAR_MODE_TRAIN) t->steps_done++;
    return KPAR_OK;
}
