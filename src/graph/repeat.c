/* A value a second time, in another phase. */
#include "graph/build.h"

/* Marks the ops that the value comes from; KPAR_EUNSUPPORTED: a variable is among what they read. */
static kpar_status mark(const kpar_graph *g, kpar_value_id value, bool *needed)
{
    if (g->values[value].op >= 0) needed[g->values[value].op] = true;
    for (kpar_op_id id = g->values[value].op; id >= 0; id--) {
        const kpar_op *op = &g->ops[id];
        for (int i = 0; needed[id] && i < op->n_inputs; i++) {
            const kpar_value *v = &g->values[op->inputs[i]];
            if (v->phase == KPAR_PHASE_STATE)
                return kpar_fail(KPAR_EUNSUPPORTED, "layer '%s': depends on weights", op->layer);
            if (v->op >= 0) needed[v->op] = true;
        }
    }
    return KPAR_OK;
}

static kpar_status copy(kpar_graph *g, kpar_op_id id, kpar_value_id *made)
{
    const kpar_op op = g->ops[id]; /* a copy: appending moves the ops */
    kpar_value_id first, *inputs = kpar_arena_alloc(g->arena, ((size_t)op.n_inputs + 1) * sizeof *inputs);
    for (int i = 0; i < op.n_inputs; i++) inputs[i] = made[op.inputs[i]];
    KPAR_TRY(kpar_graph_append(g, (kpar_op_kind)op.kind, inputs, op.n_inputs, &op.attributes, &first));
    for (int i = 0; i < op.n_outputs; i++) made[op.outputs[i]] = first + i;
    return KPAR_OK;
}

kpar_status kpar_build_again(kpar_graph *g, kpar_value_id value, kpar_value_id *out)
{
    const kpar_op_id last = g->values[value].op;
    const size_t n_values = g->n_values;
    bool *needed = kpar_alloc_zeroed(g->n_ops + 1, sizeof *needed);
    kpar_value_id *made = kpar_alloc((n_values + 1) * sizeof *made);
    for (size_t i = 0; i < n_values; i++) made[i] = (kpar_value_id)i; /* sources are what they are */
    kpar_status status = mark(g, value, needed);
    for (kpar_op_id id = 0; status == KPAR_OK && id <= last; id++)
        if (needed[id]) status = copy(g, id, made);
    *out = made[value];
    kpar_free(needed);
    kpar_free(made);
    return status;
}
