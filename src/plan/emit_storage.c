/* Where values lie: buffers, variables, sources, targets. */
#include "plan/emit_internal.h"

#include <stdlib.h>
#include <string.h>

int kpar_emit_buffer(kpar_emitter *e, kpar_segment segment, size_t bytes)
{
    kpar_buffer buffer = {.segment = segment,
                          .bytes = kpar_emit_align(bytes ? bytes : 1),
                          .first = (int)e->n_drafts,
                          .last = (int)e->n_drafts};
    if (segment == KPAR_SEGMENT_SHARED) {
        buffer.offset = e->shared_bytes;
        e->shared_bytes += buffer.bytes;
    }
    KPAR_PUSH(e->buffers, e->n_buffers, e->buffers_capacity) = buffer;
    return (int)e->n_buffers - 1;
}

void kpar_emit_buffer_forever(kpar_emitter *e, int buffer)
{
    e->buffers[buffer].first = 0;
    e->buffers[buffer].last = KPAR_FOR_EVER;
}

size_t kpar_emit_value_bytes(const kpar_emitter *e, kpar_value_id value)
{
    const kpar_value *v = &e->graph->values[value];
    int64_t dims[KPAR_MAX_RANK];
    kpar_local_dims(v, e->options->mesh, e->me, e->rows, dims);
    return (size_t)kpar_count(v->shape.rank, dims) * kpar_dtype_bytes(v->dtype);
}

kpar_storage *kpar_emit_slot(kpar_emitter *e, kpar_value_id value, int microbatch)
{
    int m = kpar_emit_is_replayed(&e->graph->values[value]) ? microbatch + 1 : 0;
    return &e->storage[(size_t)value * (size_t)(e->microbatches + 1) + (size_t)m];
}

/* A buffer at a fixed place of the state. */
static int fixed_buffer(kpar_emitter *e, kpar_segment segment, size_t offset, size_t bytes)
{
    KPAR_PUSH(e->buffers, e->n_buffers, e->buffers_capacity) =
        (kpar_buffer){segment, offset, bytes, 0, KPAR_FOR_EVER};
    return (int)e->n_buffers - 1;
}

static size_t slice_bytes(const kpar_slice *slice, kpar_dtype dtype)
{
    return (size_t)kpar_count(slice->rank, slice->size) * kpar_dtype_bytes(dtype);
}

static kpar_storage variable_storage(kpar_emitter *e, const kpar_value *v)
{
    const kpar_variable_layout *layout = &e->variables[v->index];
    const bool shard = v->source == KPAR_FROM_VARIABLE && v->placement[KPAR_AXIS_DATA].kind == KPAR_SHARD;
    size_t offset = shard && layout->has_copy ? layout->shard_offset : layout->offset;
    const kpar_slice *slice = shard ? &layout->shard : &layout->slice;
    return (kpar_storage){fixed_buffer(e, layout->segment, offset, slice_bytes(slice, v->dtype)), 0};
}

static kpar_storage source_storage(kpar_emitter *e, kpar_value_id value)
{
    const kpar_value *v = &e->graph->values[value];
    if (v->phase == KPAR_PHASE_STATE) return variable_storage(e, v);
    int buffer = kpar_emit_buffer(e, KPAR_SEGMENT_STEP, kpar_emit_value_bytes(e, value));
    kpar_emit_buffer_forever(e, buffer);
    return (kpar_storage){buffer, 0};
}

kpar_status kpar_emit_find(kpar_emitter *e, kpar_value_id value, int microbatch, kpar_storage *where)
{
    kpar_storage *slot = kpar_emit_slot(e, value, microbatch);
    if (slot->buffer < 0 && e->graph->values[value].op < 0) *slot = source_storage(e, value);
    if (slot->buffer < 0) {
        const kpar_op *op = &e->graph->ops[e->graph->values[value].op];
        return kpar_fail(KPAR_EINTERNAL,
                         "rank %d reads value %d (%s of layer '%s', stage %d) before it is there", e->rank,
                         value, kpar_op_row_get((kpar_op_kind)op->kind)->name, op->layer, op->stage);
    }
    *where = *slot;
    return KPAR_OK;
}

static bool has_fixed_offset(const kpar_buffer *buffer)
{
    return buffer->segment == KPAR_SEGMENT_STATE || buffer->segment == KPAR_SEGMENT_COMMON ||
           buffer->segment == KPAR_SEGMENT_SLOTS;
}

bool kpar_emit_is_same(const kpar_emitter *e, kpar_storage a, kpar_storage b)
{
    const kpar_buffer *x = &e->buffers[a.buffer], *y = &e->buffers[b.buffer];
    if (a.buffer == b.buffer) return a.offset == b.offset;
    return has_fixed_offset(x) && x->segment == y->segment && x->offset + a.offset == y->offset + b.offset;
}

/* Whether peers of the data axis read or write the value's memory. */
static bool is_shared(const kpar_emitter *e, kpar_value_id value)
{
    const kpar_op *ops = e->graph->ops;
    const kpar_op_id user = e->user[value], maker = e->graph->values[value].op;
    return (user >= 0 && kpar_op_is_collective_over(&ops[user], KPAR_AXIS_DATA)) ||
           (maker >= 0 && kpar_op_is_collective_over(&ops[maker], KPAR_AXIS_DATA));
}

/* The value whose memory an op's output is, as far as emission knows before it has come there; -1: its own. */
static kpar_value_id alias_of(const kpar_op *op)
{
    const bool alias =
        op->kind == KPAR_OP_RESHAPE || op->kind == KPAR_OP_COMPUTE_COPY || op->kind == KPAR_OP_SPLIT;
    return alias ? op->inputs[0] : -1;
}

bool kpar_emit_is_last_reader(const kpar_emitter *e, kpar_value_id value)
{
    const kpar_graph *g = e->graph;
    while (value >= 0 && e->users[value] == 1) {
        const kpar_op_id maker = g->values[value].op;
        if (maker < 0) return false;
        value = alias_of(&g->ops[maker]);
        if (value < 0) return true;
    }
    return false;
}

void kpar_emit_find_roots(kpar_emitter *e)
{
    const kpar_graph *g = e->graph;
    for (size_t i = 0; i < g->n_values; i++) {
        const kpar_op_id maker = g->values[i].op;
        const kpar_value_id alias = maker >= 0 ? alias_of(&g->ops[maker]) : -1;
        e->root[i] = alias >= 0 ? e->root[alias] : (kpar_value_id)i;
    }
}

static void survey_states(kpar_emitter *e)
{
    const kpar_graph *g = e->graph;
    for (size_t i = 0; i < g->n_values; i++) e->last_update[i] = e->becomes[i] = -1;
    for (size_t i = 0; i < g->n_ops; i++)
        for (int k = 0; e->needed[i] && g->ops[i].phase == KPAR_PHASE_UPDATE && k < g->ops[i].n_inputs; k++)
            e->last_update[e->root[g->ops[i].inputs[k]]] = (kpar_op_id)i;
    for (size_t i = g->n_states; i-- > 0;) {
        const kpar_state *s = &g->states[i];
        if (s->next != s->value && e->variables[s->variable].present && kpar_emit_has_state(e, s))
            e->becomes[s->next] = (int)i;
    }
}

/* The state that the value is the next value of, if it may be written where the state lies: nothing reads the old value
 * afterwards, and only a map may read it while it writes; and peers find it there if they look for it. */
static const kpar_state *state_in_place(const kpar_emitter *e, kpar_value_id value)
{
    const kpar_graph *g = e->graph;
    const kpar_op_id maker = g->values[value].op;
    while (e->users[value] == 1 && e->user[value] >= 0 && g->ops[e->user[value]].kind == KPAR_OP_COMPUTE_COPY)
        value = g->ops[e->user[value]].outputs[0];
    if (e->becomes[value] < 0) return NULL;
    const kpar_state *s = &g->states[e->becomes[value]];
    const kpar_op_id last = e->last_update[s->value];
    if (e->variables[s->variable].segment == KPAR_SEGMENT_SLOTS && is_shared(e, value)) return NULL;
    return last < maker || (last == maker && g->ops[maker].kind == KPAR_OP_MAP) ? s : NULL;
}

/* Of the value on the rank of the data axis that has most of it: peers find it at the same offset. */
static size_t largest_bytes(const kpar_emitter *e, kpar_value_id value)
{
    kpar_emitter there = *e;
    size_t most = 0;
    for (there.me.data = 0; there.me.data < e->options->mesh.data; there.me.data++) {
        const size_t bytes = kpar_emit_value_bytes(&there, value);
        if (bytes > most) most = bytes;
    }
    return most;
}

static kpar_storage new_storage(kpar_emitter *e, kpar_value_id value)
{
    const int buffer = is_shared(e, value)
                           ? kpar_emit_buffer(e, KPAR_SEGMENT_SHARED, largest_bytes(e, value))
                           : kpar_emit_buffer(e, KPAR_SEGMENT_STEP, kpar_emit_value_bytes(e, value));
    return (kpar_storage){buffer, 0};
}

kpar_storage kpar_emit_target(kpar_emitter *e, kpar_value_id value, int microbatch)
{
    kpar_storage *slot = kpar_emit_slot(e, value, microbatch);
    if (slot->buffer >= 0) return *slot;
    const kpar_state *state = state_in_place(e, value);
    *slot = state ? variable_storage(e, &e->graph->values[state->value]) : new_storage(e, value);
    return *slot;
}

/* The variables that this rank's stage holds: those that it reads, their slots, and the optimizer's scalars. What no stage
 * reads lies on the first, to be saved as it came; a mode that follows another has no need of it. */
static void find_present(const kpar_emitter *e, bool *present)
{
    const kpar_graph *g = e->graph;
    bool *read = kpar_alloc_zeroed((size_t)e->catalog->n + 1, sizeof *read);
    for (size_t i = 0; i < g->n_ops; i++)
        for (int k = 0; k < g->ops[i].n_inputs; k++) {
            const kpar_value *v = &g->values[g->ops[i].inputs[k]];
            if (v->phase != KPAR_PHASE_STATE) continue;
            read[v->index] = true;
            if (e->needed[i]) present[v->index] = true;
        }
    for (int i = 0; i < e->catalog->n; i++) {
        const kpar_variable *v = &e->catalog->variables[i];
        const int weight = v->kind == KPAR_VARIABLE_SLOT ? v->of : i;
        if (kpar_variable_is_optimizer_scalar(v) || present[weight]) present[i] = true;
        if (!read[weight] && e->me.pipeline == 0 && !e->follows) present[i] = true;
    }
    kpar_free(read);
}

static void layout_variable(kpar_emitter *e, const kpar_value *v)
{
    kpar_variable_layout *layout = &e->variables[v->index];
    const kpar_variable *variable = &e->catalog->variables[v->index];
    const bool slot = variable->kind == KPAR_VARIABLE_SLOT;
    const bool sharded = v->placement[KPAR_AXIS_DATA].kind == KPAR_SHARD;
    kpar_value whole = *v;
    if (v->source == KPAR_FROM_COPY || !sharded || !slot)
        whole.placement[KPAR_AXIS_DATA] = (kpar_placement){.kind = KPAR_REPLICATED};
    layout->slice = kpar_local_slice(&whole, e->options->mesh, e->me, e->rows);
    layout->shard = kpar_local_slice(v, e->options->mesh, e->me, e->rows);
    layout->present = true;
    layout->has_copy = sharded && !slot;
    layout->owner = (sharded || e->me.data == 0) &&
                    (v->placement[KPAR_AXIS_TENSOR].kind == KPAR_SPLIT || e->me.tensor == 0) &&
                    kpar_count(layout->shard.rank, layout->shard.size) > 0;
    layout->segment = slot ? KPAR_SEGMENT_SLOTS : layout->common ? KPAR_SEGMENT_COMMON : KPAR_SEGMENT_STATE;
    size_t *used = slot ? e->slot_bytes : layout->common ? e->common_bytes : e->state_bytes;
    layout->offset = *used;
    *used += kpar_emit_align(slice_bytes(&layout->slice, v->dtype));
    if (layout->has_copy) {
        size_t row = kpar_dtype_bytes(v->dtype);
        for (int i = 1; i < layout->slice.rank; i++) row *= (size_t)layout->slice.size[i];
        layout->shard_offset =
            layout->offset + (size_t)(layout->shard.start[0] - layout->slice.start[0]) * row;
    }
}

/* The optimizer's scalars lie on every stage; one of them owns them. */
static bool is_first_holder(const kpar_emitter *e, const kpar_variable *v)
{
    return !kpar_variable_is_optimizer_scalar(v) || e->me.pipeline == 0;
}

static void add_slot(kpar_emitter *e, const kpar_value *v, bool own, const kpar_slice *slice, size_t offset,
                     kpar_segment segment)
{
    kpar_slot slot = {
        .kind = KPAR_SLOT_VARIABLE, .index = v->index, .microbatch = -1, .slice = *slice, .owner = own};
    slot.tensor = (kpar_tensor_spec){.dtype = v->dtype, .rank = slice->rank};
    memcpy(slot.tensor.dims, slice->size, sizeof slot.tensor.dims);
    const size_t bytes = slice_bytes(slice, v->dtype);
    slot.place = (kpar_place){.rank = fixed_buffer(e, segment, offset, bytes), .bytes = bytes};
    KPAR_PUSH(e->program->slots, e->program->n_slots, e->program->slots_capacity) = slot;
}

kpar_status kpar_emit_variables(kpar_emitter *e)
{
    const kpar_graph *g = e->graph;
    bool *present = kpar_arena_alloc(e->arena, (size_t)e->catalog->n + 1);
    bool *laid = kpar_arena_alloc(e->arena, (size_t)e->catalog->n + 1);
    find_present(e, present);
    for (int slots = 0; slots < 2; slots++) /* the state of all ranks alike first */
        for (size_t i = 0; i < g->n_states; i++) {
            const kpar_value *v = &g->values[g->states[i].value];
            if (g->states[i].copy || !present[v->index] || laid[v->index]) continue;
            if ((e->catalog->variables[v->index].kind == KPAR_VARIABLE_SLOT) != slots) continue;
            laid[v->index] = true;
            kpar_variable_layout *layout = &e->variables[v->index];
            if (!layout->present && e->follows)
                return kpar_fail(KPAR_EINTERNAL, "rank %d has variable '%s' in mode %s only", e->rank,
                                 e->catalog->variables[v->index].path, kpar_mode_name(e->mode));
            if (!layout->present) layout_variable(e, v);
            const bool own = layout->owner && is_first_holder(e, &e->catalog->variables[v->index]);
            add_slot(e, v, own && !layout->has_copy, &layout->slice, layout->offset, layout->segment);
            if (layout->has_copy && (own || layout->common))
                add_slot(e, v, own, &layout->shard, layout->shard_offset, layout->segment);
        }
    survey_states(e);
    return KPAR_OK;
}
