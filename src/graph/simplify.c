/* Dead code and common subexpressions. (Maps that copy and constants are taken care of while building.) */
#include "base/hash.h"
#include "graph/attributes.h"
#include "graph/pass.h"

#include <string.h>

static void mark_live(const kpar_graph *g, bool *live)
{
    for (size_t i = 0; i < g->n_states; i++) live[g->states[i].next] = live[g->states[i].value] = true;
    for (size_t i = 0; i < g->n_outputs; i++) live[g->outputs[i].value] = true;
    for (size_t i = g->n_ops; i-- > 0;) {
        const kpar_op *op = &g->ops[i];
        bool needed = op->kind == KPAR_OP_SEND;
        for (int k = 0; k < op->n_outputs; k++) needed = needed || live[op->outputs[k]];
        for (int k = 0; needed && k < op->n_inputs; k++) live[op->inputs[k]] = true;
    }
}

static bool op_is_live(const kpar_op *op, const bool *live)
{
    for (int k = 0; k < op->n_outputs; k++)
        if (live[op->outputs[k]]) return true;
    return op->kind == KPAR_OP_SEND;
}

/* Whether equal ops of this kind may be shared: not what communicates, and not random numbers of two call sites. */
static bool shareable(const kpar_op *op)
{
    return op->kind <= KPAR_OP_COMPUTE_COPY && op->kind != KPAR_OP_RANDOM;
}

static uint64_t hash_op(const kpar_rebuild *r, const kpar_op *op)
{
    uint64_t hash = kpar_hash(KPAR_HASH_START, &op->kind, sizeof op->kind);
    for (int i = 0; i < op->n_inputs; i++) {
        kpar_value_id input = r->value[op->inputs[i]];
        hash = kpar_hash(hash, &input, sizeof input);
    }
    return kpar_hash(hash, &op->phase, sizeof op->phase);
}

/* Gradients of two layers' weights may be equal and yet be wanted on two stages, each beside its weight. */
static bool apart(const kpar_op *op, const kpar_op *earlier)
{
    return op->phase == KPAR_PHASE_MICROBATCH && op->part == KPAR_BACKWARD &&
           strcmp(op->layer, earlier->layer) != 0;
}

static bool same_op(const kpar_rebuild *r, const kpar_op *op, const kpar_op *earlier)
{
    if (op->kind != earlier->kind || op->n_inputs != earlier->n_inputs ||
        op->n_outputs != earlier->n_outputs || op->phase != earlier->phase || op->stage != earlier->stage ||
        apart(op, earlier))
        return false;
    for (int i = 0; i < op->n_inputs; i++)
        if (r->value[op->inputs[i]] != earlier->inputs[i]) return false;
    for (int i = 0; i < op->n_outputs; i++)
        if (r->old->values[op->outputs[i]].dtype != r->graph->values[earlier->outputs[i]].dtype) return false;
    return kpar_attributes_equal(&op->attributes, &earlier->attributes);
}

/* Open-addressed table of op ids of the new graph. */
typedef struct seen {
    kpar_op_id *slots;
    size_t mask;
} seen;

static seen seen_create(size_t n_ops)
{
    size_t size = 16;
    while (size < 2 * n_ops) size *= 2;
    seen s = {kpar_alloc(size * sizeof(kpar_op_id)), size - 1};
    for (size_t i = 0; i < size; i++) s.slots[i] = -1;
    return s;
}

/* Copies the op, or maps its outputs to those of an equal one. */
static void share_or_copy(kpar_rebuild *r, seen *s, kpar_op_id id)
{
    const kpar_op *op = &r->old->ops[id];
    for (int i = 0; i < op->n_inputs; i++) kpar_rebuild_source(r, op->inputs[i]);
    size_t slot = hash_op(r, op) & s->mask;
    for (; shareable(op) && s->slots[slot] >= 0; slot = (slot + 1) & s->mask) {
        const kpar_op *earlier = &r->graph->ops[s->slots[slot]];
        if (!same_op(r, op, earlier)) continue;
        for (int i = 0; i < op->n_outputs; i++) r->value[op->outputs[i]] = earlier->outputs[i];
        return;
    }
    kpar_rebuild_copy(r, id);
    if (shareable(op)) s->slots[slot] = (kpar_op_id)r->graph->n_ops - 1;
}

kpar_status kpar_graph_simplify(const kpar_graph *graph, kpar_graph **simplified)
{
    kpar_rebuild r;
    kpar_rebuild_begin(&r, graph);
    bool *live = kpar_alloc_zeroed(graph->n_values, sizeof *live);
    seen s = seen_create(graph->n_ops);
    mark_live(graph, live);
    for (size_t i = 0; i < graph->n_ops; i++)
        if (op_is_live(&graph->ops[i], live)) share_or_copy(&r, &s, (kpar_op_id)i);
    kpar_rebuild_end(&r);
    kpar_free(live);
    kpar_free(s.slots);
    *simplified = r.graph;
    return KPAR_OK;
}
