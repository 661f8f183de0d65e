/* What passes that make a new graph share. */
#include "graph/pass.h"

void kpar_rebuild_begin(kpar_rebuild *rebuild, const kpar_graph *old)
{
    *rebuild = (kpar_rebuild){old, kpar_graph_create_like(old),
                              kpar_alloc((old->n_values + 1) * sizeof(kpar_value_id))};
    for (size_t i = 0; i < old->n_values; i++) rebuild->value[i] = -1;
}

kpar_value_id kpar_rebuild_source(kpar_rebuild *rebuild, kpar_value_id old)
{
    if (rebuild->value[old] >= 0) return rebuild->value[old];
    const kpar_value *v = &rebuild->old->values[old];
    kpar_graph *g = rebuild->graph;
    KPAR_PUSH(g->values, g->n_values, g->values_capacity) = *v;
    return rebuild->value[old] = (kpar_value_id)g->n_values - 1;
}

void kpar_rebuild_copy(kpar_rebuild *rebuild, kpar_op_id id)
{
    kpar_rebuild_append(rebuild, &rebuild->old->ops[id]);
}

void kpar_rebuild_append(kpar_rebuild *rebuild, const kpar_op *old)
{
    kpar_graph *g = rebuild->graph;
    kpar_value_id *inputs = kpar_arena_alloc(g->arena, (size_t)old->n_inputs * sizeof *inputs);
    kpar_value_id *outputs = kpar_arena_alloc(g->arena, (size_t)old->n_outputs * sizeof *outputs);
    for (int i = 0; i < old->n_inputs; i++) inputs[i] = kpar_rebuild_source(rebuild, old->inputs[i]);
    for (int i = 0; i < old->n_outputs; i++) {
        kpar_value value = rebuild->old->values[old->outputs[i]];
        value.op = (kpar_op_id)g->n_ops;
        KPAR_PUSH(g->values, g->n_values, g->values_capacity) = value;
        rebuild->value[old->outputs[i]] = outputs[i] = (kpar_value_id)g->n_values - 1;
    }
    kpar_op op = *old;
    op.inputs = inputs;
    op.outputs = outputs;
    op.forward = -1; /* only the gradient pass and the cut of its result need it; ids have changed */
    KPAR_PUSH(g->ops, g->n_ops, g->ops_capacity) = op;
}

void kpar_rebuild_end(kpar_rebuild *rebuild)
{
    const kpar_graph *old = rebuild->old;
    for (size_t i = 0; i < old->n_states; i++)
        kpar_graph_set_state_at(rebuild->graph, kpar_rebuild_source(rebuild, old->states[i].value),
                                kpar_rebuild_source(rebuild, old->states[i].next), old->states[i].place);
    for (size_t i = 0; i < old->n_outputs; i++)
        kpar_graph_add_output(rebuild->graph, old->outputs[i].kind, old->outputs[i].index,
                              kpar_rebuild_source(rebuild, old->outputs[i].value));
    kpar_free(rebuild->value);
    rebuild->value = NULL;
}
