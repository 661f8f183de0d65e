/* The walk over the graph in the order of the rank's schedule. */
#include "plan/emit_internal.h"

/* What it remembers. */
typedef struct walk {
    kpar_emitter *e;
    bool *emitted;       /* by op of phases facts and update */
    bool *final;         /* by op: an accumulate that has all its microbatches */
    kpar_op_id *waiting; /* collectives of the update that have not started, in order */
    size_t n_waiting;
    bool last; /* backward of a stage's last microbatch is being written */
} walk;

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
    const kpar_output *guard = kpar_emit_own_guard(e);
    kpar_storage where;
    if (!guard) return KPAR_OK;
    const kpar_value *v = &e->graph->values[guard->value];
    KPAR_TRY(emit_once(w, KPAR_PHASE_UPDATE, w->e->guards));
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
        if (train && actions[i].part == KPAR_FORWARD && --forward == 0 && !w->e->late_guard)
            KPAR_TRY(emit_once(w, KPAR_PHASE_UPDATE, w->e->guards)); /* long before the update needs it */
    }
    w->last = false;
    return KPAR_OK;
}

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

static kpar_status emit_all(walk *w)
{
    kpar_emitter *e = w->e;
    kpar_emit_find_needed(e);
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
    return kpar_emit_slots(e);
}

kpar_status kpar_emit_walk(kpar_emitter *e)
{
    const size_t n = e->graph->n_ops + 1;
    walk w = {.e = e,
              .emitted = kpar_arena_alloc(e->arena, n),
              .final = kpar_arena_alloc(e->arena, n),
              .waiting = kpar_arena_alloc(e->arena, n * sizeof *w.waiting)};
    return emit_all(&w);
}
