/* Emission: walks the graph in the order of the rank's schedule. */
#include "plan/emit.h"

#include "parallel/homes.h"
#include "plan/emit_internal.h"

#include <string.h>

/* What emission remembers while it walks. */
typedef struct walk {
    kpar_emitter *e;
    bool *emitted;       /* by op of phases facts and update */
    bool *final;         /* by op: an accumulate that has all its microbatches */
    int *home;           /* by op: the place in the pipeline whose microbatches it needs, -1: none's */
    bool *guards;        /* by op of phase update: makes what guards the update, here or on another stage */
    bool late_guard;     /* it is made of gradients */
    kpar_op_id *waiting; /* collectives of the update that have not started, in order */
    size_t n_waiting;
    bool last; /* backward of a stage's last microbatch is being written */
} walk;

/* --- which ops this rank runs --- */

static int place_of(const kpar_emitter *e, int stage) { return kpar_mesh_of_stage(e->options->mesh, stage); }

static void find_homes(const kpar_emitter *e, int *home)
{
    const kpar_graph *g = e->graph;
    int *variable_homes = kpar_variable_homes(g, e->catalog, e->options->mesh, NULL);
    for (size_t i = 0; i < g->n_ops; i++) {
        const kpar_op *op = &g->ops[i];
        home[i] = place_of(e, op->stage);
        for (int k = 0; op->phase != KPAR_PHASE_MICROBATCH && k < op->n_inputs; k++) {
            const kpar_value *v = &g->values[op->inputs[k]];
            const int there = v->op >= 0                     ? home[v->op]
                              : v->phase == KPAR_PHASE_STATE ? variable_homes[v->index]
                                                             : -1;
            if (there > home[i]) home[i] = there;
        }
    }
    kpar_free(variable_homes);
}

static void need(walk *w, kpar_value_id value)
{
    kpar_op_id maker = w->e->graph->values[value].op;
    if (maker >= 0 && w->e->graph->ops[maker].phase != KPAR_PHASE_MICROBATCH) w->e->needed[maker] = true;
}

static void need_inputs(walk *w)
{
    const kpar_graph *g = w->e->graph;
    for (size_t i = g->n_ops; i-- > 0;)
        for (int k = 0; w->e->needed[i] && k < g->ops[i].n_inputs; k++) need(w, g->ops[i].inputs[k]);
}

/* Stages whose microbatches read a variable: a bit for the own one, another for the others. */
enum { HERE = 1, ELSEWHERE = 2 };

static unsigned char *find_readers(const walk *w)
{
    const kpar_graph *g = w->e->graph;
    unsigned char *readers = kpar_alloc_zeroed((size_t)w->e->catalog->n + 1, 1);
    for (size_t i = 0; i < g->n_ops; i++) {
        const kpar_op *op = &g->ops[i];
        for (int k = 0; op->phase == KPAR_PHASE_MICROBATCH && k < op->n_inputs; k++) {
            const kpar_value *v = &g->values[op->inputs[k]];
            if (v->phase == KPAR_PHASE_STATE)
                readers[v->index] |= place_of(w->e, op->stage) == w->e->me.pipeline ? HERE : ELSEWHERE;
        }
    }
    return readers;
}

/* Whether the stage trains the variable: its microbatches read it, or its weight; or, where nobody's do, what it becomes
 * comes from here. */
static bool stage_holds(const walk *w, const unsigned char *readers, const kpar_state *state)
{
    const kpar_variable *v = &w->e->catalog->variables[state->variable];
    if (!kpar_emit_has_state(w->e, state)) return false;
    if (kpar_variable_is_optimizer_scalar(v)) return true;
    const unsigned char read = readers[v->of >= 0 ? v->of : state->variable];
    const kpar_op_id maker = w->e->graph->values[state->next].op;
    return read ? read & HERE : maker >= 0 && w->home[maker] == w->e->me.pipeline;
}

static void find_needed(walk *w)
{
    kpar_emitter *e = w->e;
    const kpar_graph *g = e->graph;
    find_homes(e, w->home);
    for (size_t i = 0; i < g->n_ops; i++) e->needed[i] = place_of(e, g->ops[i].stage) == e->me.pipeline;
    unsigned char *readers = find_readers(w);
    for (size_t i = 0; i < g->n_states; i++)
        if (stage_holds(w, readers, &g->states[i])) need(w, g->states[i].next);
    kpar_free(readers);
    for (size_t i = 0; i < g->n_outputs; i++) {
        kpar_op_id maker = g->values[g->outputs[i].value].op;
        int stage = maker >= 0 && w->home[maker] >= 0 ? w->home[maker] : 0;
        if (g->outputs[i].kind == KPAR_OUTPUT_GUARD) stage = g->outputs[i].index;
        if (g->outputs[i].kind != KPAR_OUTPUT_PREDICTION && stage == e->me.pipeline)
            need(w, g->outputs[i].value);
    }
    need_inputs(w);
}

static const kpar_output *own_guard(const kpar_emitter *e)
{
    for (size_t i = 0; i < e->graph->n_outputs; i++) {
        const kpar_output *o = &e->graph->outputs[i];
        if (o->kind == KPAR_OUTPUT_GUARD && o->index == e->me.pipeline) return o;
    }
    return NULL;
}

static bool sums_gradients(const kpar_graph *g, const kpar_op *op)
{
    const kpar_op_id maker = op->kind == KPAR_OP_ACCUMULATE ? g->values[op->inputs[0]].op : -1;
    return maker >= 0 && g->ops[maker].part != KPAR_FORWARD;
}

/* What guards the update, here or on another stage, with all of the update that it is made of. */
static void find_guards(walk *w)
{
    const kpar_graph *g = w->e->graph;
    kpar_op_id *senders = kpar_alloc((g->n_ops + 1) * sizeof *senders); /* by channel */
    for (size_t i = 0; i < g->n_ops; i++)
        if (g->ops[i].kind == KPAR_OP_SEND) senders[g->ops[i].attributes.channel] = (kpar_op_id)i;
    for (size_t i = 0; i < g->n_outputs; i++) {
        const kpar_op_id maker = g->values[g->outputs[i].value].op;
        if (g->outputs[i].kind == KPAR_OUTPUT_GUARD && maker >= 0) w->guards[maker] = true;
    }
    for (size_t i = g->n_ops; i-- > 0;) {
        const kpar_op *op = &g->ops[i];
        w->guards[i] = w->guards[i] && op->phase == KPAR_PHASE_UPDATE;
        if (!w->guards[i]) continue;
        w->late_guard = w->late_guard || sums_gradients(g, op);
        if (op->kind == KPAR_OP_RECEIVE) w->guards[senders[op->attributes.channel]] = true;
        for (int k = 0; k < op->n_inputs; k++)
            if (g->values[op->inputs[k]].op >= 0) w->guards[g->values[op->inputs[k]].op] = true;
    }
    kpar_free(senders);
}

static void count_users(kpar_emitter *e)
{
    const kpar_graph *g = e->graph;
    for (size_t i = 0; i < g->n_values; i++) e->user[i] = -1;
    for (size_t i = 0; i < g->n_ops; i++)
        for (int k = 0; e->needed[i] && k < g->ops[i].n_inputs; k++) {
            kpar_value_id input = g->ops[i].inputs[k];
            e->users[input]++;
            if (e->user[input] < 0 || g->ops[i].kind == KPAR_OP_ACCUMULATE) e->user[input] = (kpar_op_id)i;
        }
    for (size_t i = 0; i < g->n_outputs; i++) e->users[g->outputs[i].value]++;
}

static void number_collectives(walk *w)
{
    kpar_emitter *e = w->e;
    const kpar_graph *g = e->graph;
    for (size_t i = 0; i < g->n_ops; i++) {
        if (!e->needed[i] || !kpar_op_is_collective(g->ops[i].kind)) continue;
        if (g->ops[i].phase == KPAR_PHASE_UPDATE) w->waiting[w->n_waiting++] = (kpar_op_id)i;
        const bool replayed =
            g->ops[i].phase == KPAR_PHASE_MICROBATCH || g->ops[i].phase == KPAR_PHASE_FACTS_ROWS;
        e->collective_number[i] = replayed ? e->n_microbatch_collectives++ : e->n_step_collectives++;
    }
}

/* --- writing ops --- */

static kpar_status emit_alias(kpar_emitter *e, const kpar_op *op, int microbatch)
{
    kpar_storage where;
    KPAR_TRY(kpar_emit_find(e, op->inputs[0], microbatch, &where));
    *kpar_emit_slot(e, op->outputs[0], microbatch) = where;
    return KPAR_OK;
}

/* split: rows of the whole lie together, any other part is copied out. */
static kpar_status emit_split(kpar_emitter *e, const kpar_op *op, int microbatch)
{
    const kpar_value *part = &e->graph->values[op->outputs[0]], *whole = &e->graph->values[op->inputs[0]];
    const kpar_placement p = part->placement[op->attributes.mesh_axis];
    if (p.kind == KPAR_SPLIT && p.dim != 0)
        return kpar_emit_kernel(e, op, microbatch, false, (kpar_storage){-1, 0}, -1);
    const kpar_slice a = kpar_local_slice(part, e->options->mesh, e->me, e->rows),
                     b = kpar_local_slice(whole, e->options->mesh, e->me, e->rows);
    size_t row = kpar_dtype_bytes(part->dtype);
    for (int i = 1; i < a.rank; i++) row *= (size_t)a.size[i];
    KPAR_TRY(emit_alias(e, op, microbatch));
    if (a.rank > 0)
        kpar_emit_slot(e, op->outputs[0], microbatch)->offset += (size_t)(a.start[0] - b.start[0]) * row;
    return KPAR_OK;
}

/* Memory that is being sent must not be wanted for something else while the peer is not yet able to receive: that could
 * close a circle of waiting. A forward activation has arrived when its gradient comes back; of others nothing is known
 * before the step ends. */
static void keep_sent(kpar_emitter *e, const kpar_op *op, int buffer, int microbatch)
{
    if (e->mode != KPAR_MODE_TRAIN || op->part != KPAR_FORWARD || microbatch < 0) {
        e->buffers[buffer].last = KPAR_FOR_EVER;
        return;
    }
    KPAR_PUSH(e->sent, e->n_sent, e->sent_capacity) = (kpar_sent){buffer, op->stage, microbatch};
}

static void release_sent(kpar_emitter *e, const kpar_action *ended)
{
    for (size_t i = 0; i < e->n_sent; i++) {
        const kpar_sent *sent = &e->sent[i];
        kpar_buffer *buffer = &e->buffers[sent->buffer];
        if (sent->stage != ended->stage || sent->microbatch != ended->microbatch) continue;
        if (buffer->last < (int)e->n_drafts) buffer->last = (int)e->n_drafts;
    }
}

static kpar_status emit_transfer(kpar_emitter *e, const kpar_op *op, int microbatch)
{
    const bool send = op->kind == KPAR_OP_SEND;
    const kpar_value_id value = send ? op->inputs[0] : op->outputs[0];
    kpar_storage where = {-1, 0};
    if (send)
        KPAR_TRY(kpar_emit_find(e, value, microbatch, &where));
    else
        where = kpar_emit_target(e, value, microbatch);
    const kpar_draft_place place = kpar_emit_place(where, kpar_emit_value_bytes(e, value));
    const char *name = send ? "send" : "receive";
    const char *what = *op->layer ? kpar_arena_printf(e->arena, "%s/%s", op->layer, name) : name;
    kpar_draft *draft = kpar_emit_draft(e, send ? KPAR_INSTRUCTION_SEND : KPAR_INSTRUCTION_RECEIVE,
                                        KPAR_LANE_COMM, op->layer, what, microbatch, &place, 1, !send);
    kpar_coordinate there = e->me;
    there.pipeline = op->attributes.peer;
    draft->instruction.peer = kpar_mesh_rank(e->options->mesh, there);
    draft->instruction.channel = op->attributes.channel;
    if (send) keep_sent(e, op, where.buffer, microbatch);
    return KPAR_OK;
}

/* *summed: the accumulate that the op's kernel has written to itself, -1 if none. */
static kpar_status emit_compute(kpar_emitter *e, const kpar_op *op, int microbatch, kpar_op_id *summed)
{
    kpar_op_id sum = op->n_outputs == 1 && kpar_emit_is_replayed(&e->graph->values[op->outputs[0]])
                         ? kpar_emit_accumulating(e, op->outputs[0])
                         : -1;
    if (sum < 0 || !e->accumulators[sum].direct)
        return kpar_emit_kernel(e, op, microbatch, false, (kpar_storage){-1, 0}, -1);
    *summed = sum;
    return kpar_emit_accumulate_kernel(e, sum, op, microbatch);
}

/* What was not written into its accumulator by its own kernel is added to it. */
static kpar_status accumulate_outputs(kpar_emitter *e, const kpar_op *op, int microbatch, kpar_op_id summed)
{
    for (int i = 0; i < op->n_outputs; i++) {
        kpar_op_id sum = kpar_emit_accumulating(e, op->outputs[i]);
        if (sum < 0 || sum == summed || kpar_emit_slot(e, op->outputs[i], microbatch)->buffer < 0) continue;
        KPAR_TRY(kpar_emit_accumulate_value(e, sum, microbatch));
    }
    return KPAR_OK;
}

static kpar_status emit_op(kpar_emitter *e, kpar_op_id id, int microbatch)
{
    const kpar_op *op = &e->graph->ops[id];
    kpar_op_id summed = -1;
    e->phase = op->phase;
    switch (op->kind) {
    case KPAR_OP_ACCUMULATE:
        return KPAR_OK;
    case KPAR_OP_RESHAPE:
    case KPAR_OP_COMPUTE_COPY:
        KPAR_TRY(emit_alias(e, op, microbatch));
        break;
    case KPAR_OP_SPLIT:
        KPAR_TRY(emit_split(e, op, microbatch));
        break;
    case KPAR_OP_ALL_REDUCE:
    case KPAR_OP_REDUCE_SCATTER:
    case KPAR_OP_ALL_GATHER:
        KPAR_TRY(kpar_emit_collective(e, id, microbatch));
        break;
    case KPAR_OP_SEND:
        return emit_transfer(e, op, microbatch);
    case KPAR_OP_RECEIVE:
        KPAR_TRY(emit_transfer(e, op, microbatch));
        break;
    default:
        KPAR_TRY(emit_compute(e, op, microbatch, &summed));
        break;
    }
    return microbatch >= 0 ? accumulate_outputs(e, op, microbatch, summed) : kpar_emit_end_sums(e, id);
}

static void finish_sum(walk *w, kpar_op_id sum)
{
    if (w->final[sum]) return;
    w->final[sum] = true;
    kpar_emit_accumulated(w->e, sum);
}

static bool is_ready(const walk *w, kpar_op_id id)
{
    const kpar_graph *g = w->e->graph;
    bool ready = w->e->unread[id] == 0;
    for (int k = 0; ready && k < g->ops[id].n_inputs; k++) {
        kpar_op_id maker = g->values[g->ops[id].inputs[k]].op;
        ready = maker >= 0 && g->ops[maker].kind == KPAR_OP_ACCUMULATE && w->final[maker];
    }
    return ready;
}

/* Collectives of the update start as soon as the gradients they take are complete, and what they guard was read. */
static kpar_status start_ready_collectives(walk *w)
{
    size_t kept = 0;
    kpar_status status = KPAR_OK;
    for (size_t i = 0; i < w->n_waiting; i++) {
        const kpar_op_id id = w->waiting[i];
        if (w->emitted[id]) continue;
        if (status != KPAR_OK || !is_ready(w, id)) {
            w->waiting[kept++] = id;
            continue;
        }
        w->emitted[id] = true;
        status = emit_op(w->e, id, -1);
    }
    w->n_waiting = kept;
    return status;
}

static kpar_status after_last_microbatch(walk *w, const kpar_op *op)
{
    bool any = kpar_emit_was_read(w->e, op);
    for (int i = 0; i < op->n_outputs; i++) {
        kpar_op_id sum = kpar_emit_accumulating(w->e, op->outputs[i]);
        if (sum < 0) continue;
        finish_sum(w, sum);
        any = true;
    }
    return any ? start_ready_collectives(w) : KPAR_OK;
}

static kpar_status emit_facts(walk *w, int microbatch)
{
    const kpar_graph *g = w->e->graph;
    for (size_t i = 0; i < g->n_ops; i++)
        if (w->e->needed[i] && g->ops[i].phase == KPAR_PHASE_FACTS_ROWS)
            KPAR_TRY(emit_op(w->e, (kpar_op_id)i, microbatch));
    return KPAR_OK;
}

static kpar_status emit_action(walk *w, const kpar_action *a)
{
    kpar_emitter *e = w->e;
    w->last = a->part != KPAR_FORWARD && a->microbatch == e->microbatches - 1;
    for (size_t i = 0; i < e->graph->n_ops; i++) {
        const kpar_op *op = &e->graph->ops[i];
        if (op->phase != KPAR_PHASE_MICROBATCH || op->part != a->part || op->stage != a->stage) continue;
        KPAR_TRY(emit_op(e, (kpar_op_id)i, a->microbatch));
        if (w->last) KPAR_TRY(after_last_microbatch(w, op));
    }
    if (a->part == KPAR_BACKWARD) release_sent(e, a);
    return KPAR_OK;
}

/* All ops of a phase that is not replayed, or those of them in `only`. */
static kpar_status emit_once(walk *w, kpar_phase phase, const bool *only)
{
    const kpar_graph *g = w->e->graph;
    for (size_t i = 0; i < g->n_ops; i++) {
        const kpar_op *op = &g->ops[i];
        if (!w->e->needed[i] || op->phase != phase || w->emitted[i] || (only && !only[i])) continue;
        w->emitted[i] = true;
        if (op->kind == KPAR_OP_ACCUMULATE)
            finish_sum(w, (kpar_op_id)i);
        else
            KPAR_TRY(emit_op(w->e, (kpar_op_id)i, -1));
    }
    return KPAR_OK;
}

/* Nothing that follows in the lane of the kernels changes state unless the guard is finite. */
static kpar_status emit_guard(walk *w)
{
    kpar_emitter *e = w->e;
    const kpar_output *guard = own_guard(e);
    kpar_storage where;
    if (!guard) return KPAR_OK;
    const kpar_value *v = &e->graph->values[guard->value];
    KPAR_TRY(emit_once(w, KPAR_PHASE_UPDATE, w->guards));
    KPAR_TRY(kpar_emit_find(e, guard->value, -1, &where));
    const kpar_draft_place place = kpar_emit_place(where, kpar_emit_value_bytes(e, guard->value));
    e->phase = KPAR_PHASE_UPDATE;
    kpar_emit_draft(e, KPAR_INSTRUCTION_GUARD, KPAR_LANE_COMPUTE, v->layer, "guard", -1, &place, 1, 0)
        ->instruction.dtype = v->dtype;
    return KPAR_OK;
}

static kpar_status emit_schedule(walk *w)
{
    kpar_emitter *e = w->e;
    const kpar_schedule_shape shape = {e->me.pipeline, e->options->mesh.pipeline, e->microbatches,
                                       kpar_plan_chunks(e->plan)};
    const bool train = e->mode == KPAR_MODE_TRAIN;
    kpar_action *actions = kpar_arena_alloc(e->arena, kpar_schedule_room(&shape) * sizeof *actions);
    const int n = e->options->schedule->generate(&shape, actions);
    int forward = shape.chunks * shape.microbatches;
    for (int i = 0; i < n; i++) {
        if (actions[i].part != KPAR_FORWARD && !train) continue;
        KPAR_TRY(emit_action(w, &actions[i]));
        if (train && actions[i].part == KPAR_FORWARD && --forward == 0 && !w->late_guard)
            KPAR_TRY(emit_once(w, KPAR_PHASE_UPDATE, w->guards)); /* long before the update needs it */
    }
    w->last = false;
    return KPAR_OK;
}

/* --- what the host sees --- */

/* A next value that could not be written in place is copied there. */
static kpar_status settle_states(kpar_emitter *e)
{
    const kpar_graph *g = e->graph;
    e->phase = KPAR_PHASE_UPDATE;
    for (size_t i = 0; i < g->n_states; i++) {
        const kpar_state *s = &g->states[i];
        if (s->next == s->value || !e->variables[s->variable].present || !kpar_emit_has_state(e, s)) continue;
        kpar_storage from, to;
        KPAR_TRY(kpar_emit_find(e, s->value, -1, &to));
        KPAR_TRY(kpar_emit_find(e, s->next, -1, &from));
        if (kpar_emit_is_same(e, from, to)) continue;
        const kpar_dtype dtype = g->values[s->value].dtype;
        const size_t bytes = kpar_emit_value_bytes(e, s->value);
        kpar_emit_copy(e, dtype, bytes / kpar_dtype_bytes(dtype), g->values[s->value].layer, "state", -1,
                       kpar_emit_place(from, bytes), kpar_emit_place(to, bytes));
    }
    return KPAR_OK;
}

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

static kpar_status add_output_slots(kpar_emitter *e, const int *home)
{
    const kpar_graph *g = e->graph;
    for (size_t i = 0; i < g->n_outputs; i++) {
        const kpar_output *o = &g->outputs[i];
        const kpar_value *v = &g->values[o->value];
        const bool report = o->kind == KPAR_OUTPUT_REPORT;
        const int stage = v->op >= 0 && home[v->op] >= 0 ? home[v->op] : 0;
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

/* --- one program --- */

static kpar_status emit_walk(walk *w)
{
    kpar_emitter *e = w->e;
    find_needed(w);
    find_guards(w);
    count_users(e);
    number_collectives(w);
    KPAR_TRY(kpar_emit_accumulators(e));
    kpar_emit_find_roots(e);
    KPAR_TRY(kpar_emit_find_common(e));
    KPAR_TRY(kpar_emit_variables(e));
    for (int m = 0; m < e->microbatches; m++) KPAR_TRY(emit_facts(w, m));
    KPAR_TRY(emit_once(w, KPAR_PHASE_FACTS, NULL));
    KPAR_TRY(emit_schedule(w));
    KPAR_TRY(emit_guard(w));
    KPAR_TRY(emit_once(w, KPAR_PHASE_UPDATE, NULL));
    KPAR_TRY(settle_states(e));
    add_source_slots(e);
    return add_output_slots(e, w->home);
}

static kpar_status emit_program(kpar_emitter *e)
{
    const kpar_graph *g = e->graph;
    walk w = {.e = e,
              .emitted = kpar_arena_alloc(e->arena, g->n_ops + 1),
              .final = kpar_arena_alloc(e->arena, g->n_ops + 1),
              .home = kpar_arena_alloc(e->arena, (g->n_ops + 1) * sizeof(int)),
              .guards = kpar_arena_alloc(e->arena, g->n_ops + 1),
              .waiting = kpar_arena_alloc(e->arena, (g->n_ops + 1) * sizeof(kpar_op_id))};
    const size_t n_storage = g->n_values * (size_t)(e->microbatches + 1);
    e->needed = kpar_arena_alloc(e->arena, g->n_ops + 1);
    e->users = kpar_arena_alloc(e->arena, (g->n_values + 1) * sizeof *e->users);
    e->user = kpar_arena_alloc(e->arena, (g->n_values + 1) * sizeof *e->user);
    e->root = kpar_arena_alloc(e->arena, (g->n_values + 1) * sizeof *e->root);
    e->last_update = kpar_arena_alloc(e->arena, (g->n_values + 1) * sizeof *e->last_update);
    e->becomes = kpar_arena_alloc(e->arena, (g->n_values + 1) * sizeof *e->becomes);
    e->storage = kpar_arena_alloc(e->arena, (n_storage + 1) * sizeof *e->storage);
    e->accumulators = kpar_arena_alloc(e->arena, (g->n_ops + 1) * sizeof *e->accumulators);
    e->collective_number = kpar_arena_alloc(e->arena, (g->n_ops + 1) * sizeof *e->collective_number);
    e->pending = kpar_arena_alloc(e->arena, (g->n_ops + 1) * sizeof *e->pending);
    e->guarded = kpar_arena_alloc(e->arena, (g->n_ops + 1) * sizeof *e->guarded);
    e->unread = kpar_arena_alloc(e->arena, (g->n_ops + 1) * sizeof *e->unread);
    for (size_t i = 0; i < n_storage; i++) e->storage[i].buffer = -1;
    e->program->microbatches = e->microbatches;
    e->program->rows = (int)e->rows;
    KPAR_TRY(emit_walk(&w));
    kpar_emit_plan_memory(e);
    return KPAR_OK;
}

/* --- all modes of a rank: offsets become final --- */

static kpar_place final_place(const kpar_emitter *e, const size_t *bases, const kpar_draft_place *draft)
{
    const kpar_buffer *buffer = &e->buffers[draft->buffer];
    return (kpar_place){buffer->segment == KPAR_SEGMENT_COMMON ? e->home : draft->rank,
                        bases[buffer->segment] + buffer->offset + draft->offset, draft->bytes};
}

/* Until here a slot's place names a buffer instead of a rank. */
static void finish_slots(kpar_emitter *e, const size_t *bases)
{
    for (size_t i = 0; i < e->program->n_slots; i++) {
        kpar_place *place = &e->program->slots[i].place;
        const kpar_draft_place draft = {-1, place->rank, place->offset, place->bytes};
        *place = final_place(e, bases, &draft);
        if (place->rank == e->rank) place->rank = -1;
    }
}

static void finish_instructions(kpar_emitter *e, const size_t *bases)
{
    kpar_program *p = e->program;
    kpar_place *places = NULL;
    size_t capacity = 0;
    for (size_t i = 0; i < e->n_drafts; i++) {
        kpar_draft *d = &e->drafts[i];
        kpar_instruction instruction = d->instruction;
        const size_t n = (size_t)instruction.n_places;
        if (n > capacity) places = kpar_realloc(places, (capacity = 2 * n) * sizeof *places);
        for (size_t k = 0; k < n; k++) places[k] = final_place(e, bases, &d->places[k]);
        instruction.places = places;
        if (kpar_instruction_is_flag(instruction.kind) && instruction.channel >= p->n_flags)
            p->n_flags = instruction.channel + 1;
        kpar_program_append(p, &instruction);
    }
    kpar_free(places);
}

static void finish_program(kpar_emitter *e, const size_t *bases)
{
    kpar_program *p = e->program;
    p->arena_bytes = bases[KPAR_SEGMENT_COUNT];
    p->state_bytes = bases[KPAR_SEGMENT_SHARED];
    if (*e->common_bytes > 0) p->common = (kpar_place){e->home, bases[KPAR_SEGMENT_COMMON], *e->common_bytes};
    finish_slots(e, bases);
    finish_instructions(e, bases);
    kpar_program_order(p);
}

static void release(kpar_emitter *e)
{
    kpar_free(e->buffers);
    kpar_free(e->drafts);
    kpar_free(e->sent);
    kpar_emit_release_pending(e);
}

static void set_bases(const kpar_emitter *emitters, size_t state, size_t common, size_t slots,
                      size_t bases[KPAR_SEGMENT_COUNT + 1])
{
    size_t shared = 0, step = 0;
    for (int m = 0; m < KPAR_MODE_COUNT; m++) {
        if (emitters[m].shared_bytes > shared) shared = emitters[m].shared_bytes;
        if (emitters[m].step_bytes > step) step = emitters[m].step_bytes;
    }
    bases[KPAR_SEGMENT_STATE] = 0;
    bases[KPAR_SEGMENT_SHARED] = state;
    bases[KPAR_SEGMENT_COMMON] = state + shared;
    bases[KPAR_SEGMENT_STEP] = bases[KPAR_SEGMENT_COMMON] + common;
    bases[KPAR_SEGMENT_SLOTS] = bases[KPAR_SEGMENT_STEP] + step;
    bases[KPAR_SEGMENT_COUNT] = bases[KPAR_SEGMENT_SLOTS] + slots;
}

kpar_status kpar_plan_emit(const kpar_plan *plan, int rank, kpar_program *programs[KPAR_MODE_COUNT])
{
    const kpar_plan_options *options = kpar_plan_options_get(plan);
    kpar_arena *arena = kpar_arena_create();
    kpar_emitter emitters[KPAR_MODE_COUNT] = {0};
    size_t state = 0, common = 0, slots = 0, bases[KPAR_SEGMENT_COUNT + 1];
    const kpar_catalog *catalog = kpar_plan_catalog(plan);
    const kpar_coordinate me = kpar_mesh_coordinate(options->mesh, rank);
    const int home = kpar_mesh_rank(options->mesh, kpar_mesh_along(me, KPAR_AXIS_DATA, 0));
    kpar_variable_layout *variables = kpar_arena_alloc(arena, ((size_t)catalog->n + 1) * sizeof *variables);
    kpar_status status = KPAR_OK;
    bool follows = false;
    for (int mode = 0; mode < KPAR_MODE_COUNT; mode++) { /* training first: it has all of the state */
        kpar_emitter *e = &emitters[mode];
        programs[mode] = NULL;
        const kpar_graph *graph = kpar_plan_graph(plan, (kpar_mode)mode);
        if (!graph || status != KPAR_OK) continue;
        programs[mode] = kpar_program_create(rank, kpar_mesh_size(options->mesh));
        *e = (kpar_emitter){.plan = plan,
                            .options = options,
                            .catalog = catalog,
                            .graph = graph,
                            .mode = (kpar_mode)mode,
                            .rank = rank,
                            .me = me,
                            .home = home,
                            .rows = kpar_plan_capacity(plan),
                            .arena = arena,
                            .variables = variables,
                            .state_bytes = &state,
                            .common_bytes = &common,
                            .slot_bytes = &slots,
                            .program = programs[mode]};
        e->microbatches = kpar_plan_microbatches(plan, e->me.data);
        e->follows = follows;
        follows = true;
        status = emit_program(e);
    }
    if (status == KPAR_OK) set_bases(emitters, state, rank == home ? common : 0, slots, bases);
    for (int mode = 0; mode < KPAR_MODE_COUNT; mode++) {
        if (status == KPAR_OK && programs[mode]) finish_program(&emitters[mode], bases);
        release(&emitters[mode]);
        if (status == KPAR_OK) continue;
        kpar_program_destroy(programs[mode]);
        programs[mode] = NULL;
    }
    kpar_arena_destroy(arena);
    return status;
}
