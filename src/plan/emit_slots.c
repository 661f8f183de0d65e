/* What the host reads and writes of a program: data that a step takes, predictions and reports that it gives. */
#include "plan/emit_internal.h"

#include <string.h>

static const kpar_slot_kind source_slots[KPAR_SOURCE_COUNT] = {
    [KPAR_FROM_FEATURE] = KPAR_SLOT_FEATURE,
    [KPAR_FROM_LABEL] = KPAR_SLOT_LABEL,
    [KPAR_FROM_SAMPLE_WEIGHT] = KPAR_SLOT_SAMPLE_WEIGHT,
    [KPAR_FROM_ROW_MASK] = KPAR_SLOT_ROW_MASK,
    [KPAR_FROM_ROW_POSITION] = KPAR_SLOT_ROW_POSITION,
};

static void add_slot(kpar_emitter *e, kpar_slot_kind kind, int index, int microbatch, kpar_value_id value,
                     kpar_storage where, bool owner)
{
    const kpar_value *v = &e->graph->values[value];
    kpar_slot slot = {.kind = kind, .index = index, .microbatch = microbatch, .owner = owner};
    slot.tensor = (kpar_tensor_spec){.dtype = v->dtype, .rank = v->shape.rank};
    slot.slice = kpar_local_slice(v, e->options->mesh, e->me, e->rows);
    memcpy(slot.tensor.dims, slot.slice.size, sizeof slot.tensor.dims);
    slot.place =
        (kpar_place){.rank = where.buffer, .offset = where.offset, .bytes = kpar_emit_value_bytes(e, value)};
    KPAR_PUSH(e->program->slots, e->program->n_slots, e->program->slots_capacity) = slot;
}

static void add_source_slots(kpar_emitter *e)
{
    const kpar_graph *g = e->graph;
    for (size_t i = 0; i < g->n_values; i++) {
        const kpar_value *v = &g->values[i];
        if (v->op >= 0 || v->phase == KPAR_PHASE_STATE) continue;
        for (int m = 0; m < e->microbatches; m++) {
            kpar_storage *where = kpar_emit_slot(e, (kpar_value_id)i, m);
            if (where->buffer >= 0)
                add_slot(e, source_slots[v->source], v->index, m, (kpar_value_id)i, *where, true);
        }
    }
}

/* Partial sums count on every rank of the axis, what is replicated on the first. */
static bool counts_here(const kpar_emitter *e, const kpar_value *v)
{
    for (int axis = 0; axis < KPAR_AXIS_COUNT; axis++)
        if (v->placement[axis].kind != KPAR_PARTIAL && kpar_mesh_index(e->me, (kpar_axis)axis) != 0)
            return false;
    return true;
}

static kpar_status add_output_slots(kpar_emitter *e)
{
    const kpar_graph *g = e->graph;
    for (size_t i = 0; i < g->n_outputs; i++) {
        const kpar_output *o = &g->outputs[i];
        const kpar_value *v = &g->values[o->value];
        const bool report = o->kind == KPAR_OUTPUT_REPORT;
        const int stage = v->op >= 0 && e->homes[v->op] >= 0 ? e->homes[v->op] : 0;
        if (o->kind == KPAR_OUTPUT_GUARD || stage != e->me.pipeline) continue;
        for (int m = 0; m < (report ? 1 : e->microbatches); m++) {
            kpar_storage where;
            KPAR_TRY(kpar_emit_find(e, o->value, m, &where));
            if (e->buffers[where.buffer].segment == KPAR_SEGMENT_STEP)
                e->buffers[where.buffer].last = KPAR_FOR_EVER;
            add_slot(e, report ? KPAR_SLOT_REPORT : KPAR_SLOT_PREDICTION, o->index, report ? -1 : m, o->value,
                     where, report ? counts_here(e, v) : e->me.tensor == 0);
        }
    }
    return KPAR_OK;
}

kpar_status kpar_emit_slots(kpar_emitter *e)
{
    add_source_slots(e);
    return add_output_slots(e);
}
