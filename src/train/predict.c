/* Predictions: each replica's last holder sends its rows to rank 0. */
#include "train/trainer_internal.h"

#include <string.h>

static size_t row_bytes(const kpar_slot *slot)
{
    return slot->place.bytes / (size_t)(slot->tensor.dims[0] > 0 ? slot->tensor.dims[0] : 1);
}

/* What a sender says before the rows. */
typedef struct header {
    int output;
    int64_t first, count;
    size_t row_bytes;
} header;

static kpar_status place_rows(const kpar_array *array, int64_t batch_first, const header *h, const void *rows)
{
    memcpy((char *)array->data + (size_t)(batch_first + h->first) * h->row_bytes, rows,
           (size_t)h->count * h->row_bytes);
    return KPAR_OK;
}

static kpar_status hand_over(kpar_trainer *t, const kpar_batch *batch, kpar_array *outputs)
{
    const kpar_program *p = t->programs[KPAR_MODE_PREDICT];
    for (size_t i = 0; i < p->n_slots; i++) {
        const kpar_slot *slot = &p->slots[i];
        if (slot->kind != KPAR_SLOT_PREDICTION || !slot->owner) continue;
        header h = {.output = slot->index, .row_bytes = row_bytes(slot)};
        kpar_plan_rows(t->plan, batch->rows, t->me.data, slot->microbatch, &h.first, &h.count);
        if (h.count == 0) continue;
        const void *rows = kpar_executor_memory(t->executor, &slot->place);
        if (kpar_comm_rank(t->comm) == 0) {
            KPAR_TRY(place_rows(&outputs[h.output], batch->first, &h, rows));
            continue;
        }
        KPAR_TRY(kpar_comm_send(t->comm, &h, sizeof h, 0));
        KPAR_TRY(kpar_comm_send(t->comm, rows, (size_t)h.count * h.row_bytes, 0));
    }
    if (kpar_comm_rank(t->comm) == 0) return KPAR_OK;
    const header end = {.output = -1};
    return kpar_comm_send(t->comm, &end, sizeof end, 0);
}

static kpar_status collect(kpar_trainer *t, const kpar_batch *batch, kpar_array *outputs)
{
    for (int rank = 1; rank < kpar_comm_size(t->comm); rank++)
        for (;;) {
            header h;
            KPAR_TRY(kpar_comm_receive(t->comm, &h, sizeof h, rank));
            if (h.output < 0) break;
            void *rows = kpar_alloc((size_t)h.count * h.row_bytes + 1);
            kpar_status status = kpar_comm_receive(t->comm, rows, (size_t)h.count * h.row_bytes, rank);
            if (status == KPAR_OK) status = place_rows(&outputs[h.output], batch->first, &h, rows);
            kpar_free(rows);
            KPAR_TRY(status);
        }
    return KPAR_OK;
}

static kpar_status make_arrays(kpar_trainer *t, int64_t rows, kpar_array *outputs)
{
    const kpar_graph *g = kpar_plan_graph(t->plan, KPAR_MODE_PREDICT);
    for (size_t i = 0; i < g->n_outputs; i++) {
        const kpar_value *v = &g->values[g->outputs[i].value];
        int64_t dims[KPAR_MAX_RANK];
        for (int d = 0; d < v->shape.rank; d++) dims[d] = d ? v->shape.dims[d].size : rows;
        KPAR_TRY(kpar_array_create(&outputs[g->outputs[i].index], v->dtype, v->shape.rank, dims));
    }
    return KPAR_OK;
}

kpar_status kpar_trainer_predict(kpar_trainer *t, const kpar_rows *rows, kpar_array *outputs)
{
    const int64_t batch_size = t->options.plan.batch_size;
    const bool root = kpar_comm_rank(t->comm) == 0;
    KPAR_TRY(kpar_comm_agree(t->comm, root ? make_arrays(t, rows->rows, outputs) : KPAR_OK));
    for (int64_t first = 0; first < rows->rows; first += batch_size) {
        const int64_t left = rows->rows - first;
        const kpar_batch batch = {
            .data = rows, .rows = left < batch_size ? left : batch_size, .first = first};
        KPAR_TRY(kpar_trainer_step(t, KPAR_MODE_PREDICT, &batch, t->sums, NULL));
        KPAR_TRY(hand_over(t, &batch, outputs));
        if (root) KPAR_TRY(collect(t, &batch, outputs));
    }
    return KPAR_OK;
}
