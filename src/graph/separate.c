/* Separation: an output of a map that nothing but a reduction reads becomes a map of its own, which fusion then inlines
 * there. What it shares with the other outputs is computed twice, which takes less time than to store and read it. */
#include "graph/pass.h"

#include <string.h>

typedef struct separation {
    const kpar_graph *graph;
    kpar_op_id *user; /* of each value: its only one; -1: none, -2: several, or it must exist */
} separation;

enum { NOBODY = -1, SEVERAL = -2 };

static void find_users(separation *s)
{
    const kpar_graph *g = s->graph;
    for (size_t i = 0; i < g->n_values; i++) s->user[i] = NOBODY;
    for (size_t i = 0; i < g->n_ops; i++)
        for (int k = 0; k < g->ops[i].n_inputs; k++) {
            kpar_op_id *user = &s->user[g->ops[i].inputs[k]];
            *user = *user == NOBODY ? (kpar_op_id)i : SEVERAL;
        }
    for (size_t i = 0; i < g->n_states; i++) s->user[g->states[i].next] = SEVERAL;
    for (size_t i = 0; i < g->n_outputs; i++) s->user[g->outputs[i].value] = SEVERAL;
}

static bool is_reduced_only(const separation *s, const kpar_op *op, int output)
{
    const kpar_op_id id = s->user[op->outputs[output]];
    if (id < 0) return false;
    const kpar_op *user = &s->graph->ops[id];
    return user->kind == KPAR_OP_REDUCE && user->phase == op->phase && user->part == op->part &&
           strcmp(user->layer, op->layer) == 0;
}

/* Writes the op with those of its outputs for which take[] is `taken`, if any, and the inputs that they need. */
static void append_some(const separation *s, kpar_rebuild *r, const kpar_op *op, const bool *take, bool taken)
{
    const kpar_expression *e = op->attributes.expression;
    kpar_arena *arena = s->graph->arena;
    const size_t most = (size_t)(op->n_inputs + op->n_outputs);
    kpar_x *arguments = kpar_arena_alloc(arena, most * sizeof *arguments),
           *results = kpar_arena_alloc(arena, most * sizeof *results);
    kpar_value_id *inputs = kpar_arena_alloc(arena, most * sizeof *inputs),
                  *outputs = kpar_arena_alloc(arena, most * sizeof *outputs);
    kpar_op some = *op;
    some.inputs = inputs;
    some.outputs = outputs;
    some.n_inputs = some.n_outputs = 0;
    kpar_expression_builder *whole = kpar_expression_begin(op->n_inputs);
    for (int i = 0; i < op->n_inputs; i++) arguments[i] = kpar_x_input(whole, i);
    kpar_x_inline(whole, e, arguments, results);
    for (int o = 0; o < op->n_outputs; o++) {
        if (take[o] != taken) continue;
        outputs[some.n_outputs] = op->outputs[o];
        results[some.n_outputs++] = results[o];
    }
    const kpar_expression *part = kpar_expression_end(whole, arena, results, some.n_outputs);
    if (some.n_outputs == 0) return;
    for (int i = 0; i < op->n_inputs; i++)
        if (kpar_expression_reads(part, i)) inputs[some.n_inputs++] = op->inputs[i];
    kpar_expression_builder *pruned = kpar_expression_begin(some.n_inputs);
    for (int i = 0, k = 0; i < op->n_inputs; i++)
        arguments[i] =
            kpar_expression_reads(part, i) ? kpar_x_input(pruned, k++) : kpar_x_constant(pruned, 0);
    kpar_x_inline(pruned, part, arguments, results);
    some.attributes.expression = kpar_expression_end(pruned, arena, results, some.n_outputs);
    some.attributes.shape = s->graph->values[op->outputs[0]].shape; /* not of the inputs that are gone */
    kpar_rebuild_append(r, &some);
}

static void separate(const separation *s, kpar_rebuild *r, kpar_op_id id)
{
    const kpar_op *op = &s->graph->ops[id];
    bool reduced[KPAR_OP_OUTPUTS] = {false}, one[KPAR_OP_OUTPUTS] = {false}, any = false;
    if (op->kind == KPAR_OP_MAP && op->n_outputs > 1 && op->phase == KPAR_PHASE_MICROBATCH)
        for (int o = 0; o < op->n_outputs; o++) any |= reduced[o] = is_reduced_only(s, op, o);
    if (!any) {
        kpar_rebuild_copy(r, id);
        return;
    }
    append_some(s, r, op, reduced, false);
    for (int o = 0; o < op->n_outputs; o++) {
        one[o] = reduced[o];
        if (reduced[o]) append_some(s, r, op, one, true);
        one[o] = false;
    }
}

kpar_status kpar_graph_separate(const kpar_graph *graph, kpar_graph **separated)
{
    separation s = {graph, kpar_alloc((graph->n_values + 1) * sizeof *s.user)};
    kpar_rebuild r;
    find_users(&s);
    kpar_rebuild_begin(&r, graph);
    for (size_t i = 0; i < graph->n_ops; i++) separate(&s, &r, (kpar_op_id)i);
    kpar_rebuild_end(&r);
    kpar_free(s.user);
    *separated = r.graph;
    return KPAR_OK;
}
