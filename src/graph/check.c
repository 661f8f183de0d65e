/* The invariants of a graph, asserted after every pass. */
#include "graph/op.h"

/* may_read[a] has bit b set if phase a reads values of phase b directly. accumulate is the exception. */
static const unsigned may_read[KPAR_PHASE_COUNT] = {
    [KPAR_PHASE_START] = 1u << KPAR_PHASE_STATE | 1u << KPAR_PHASE_START,
    [KPAR_PHASE_FACTS_ROWS] = 1u << KPAR_PHASE_FACTS_ROWS,
    [KPAR_PHASE_FACTS] = 1u << KPAR_PHASE_FACTS,
    [KPAR_PHASE_MICROBATCH] = 1u << KPAR_PHASE_STATE | 1u << KPAR_PHASE_START | 1u << KPAR_PHASE_FACTS_ROWS |
                              1u << KPAR_PHASE_FACTS | 1u << KPAR_PHASE_MICROBATCH,
    [KPAR_PHASE_UPDATE] =
        1u << KPAR_PHASE_STATE | 1u << KPAR_PHASE_START | 1u << KPAR_PHASE_FACTS | 1u << KPAR_PHASE_UPDATE,
};

static bool phase_fits(const kpar_op *op, const kpar_value *input)
{
    if (op->kind != KPAR_OP_ACCUMULATE) return may_read[op->phase] >> input->phase & 1;
    if (input->phase == KPAR_PHASE_FACTS_ROWS) return op->phase == KPAR_PHASE_FACTS;
    return input->phase == KPAR_PHASE_MICROBATCH && op->phase == KPAR_PHASE_UPDATE;
}

static kpar_status check_op(const kpar_graph *g, kpar_op_id id)
{
    const kpar_op *op = &g->ops[id];
    const kpar_op_row *row = kpar_op_row_get((kpar_op_kind)op->kind);
    if (row->n_inputs >= 0 && op->n_inputs < row->n_inputs)
        return kpar_fail(KPAR_EINTERNAL, "op %d (%s): %d inputs, expected %d", id, row->name, op->n_inputs,
                         row->n_inputs);
    for (int i = 0; i < op->n_inputs; i++) {
        kpar_value_id input = op->inputs[i];
        if (input < 0 || (size_t)input >= g->n_values)
            return kpar_fail(KPAR_EINTERNAL, "op %d (%s): input %d is no value", id, row->name, i);
        const kpar_value *v = &g->values[input];
        if (v->op >= id)
            return kpar_fail(KPAR_EINTERNAL, "op %d (%s) reads value %d before it is defined", id, row->name,
                             input);
        if (!phase_fits(op, v))
            return kpar_fail(KPAR_EINTERNAL,
                             "op %d (%s of layer '%s') of phase %s reads value %d of phase %s", id, row->name,
                             op->layer, kpar_phase_name(op->phase), input, kpar_phase_name(v->phase));
    }
    for (int i = 0; i < op->n_outputs; i++)
        if (g->values[op->outputs[i]].op != id)
            return kpar_fail(KPAR_EINTERNAL, "op %d (%s) does not define its output %d", id, row->name, i);
    return KPAR_OK;
}

static kpar_status check_value(const kpar_graph *g, kpar_value_id id)
{
    const kpar_value *v = &g->values[id];
    if ((v->op < 0) != (v->source != KPAR_FROM_OP))
        return kpar_fail(KPAR_EINTERNAL, "value %d has neither op nor source", id);
    if (v->op >= 0 && g->ops[v->op].phase != v->phase)
        return kpar_fail(KPAR_EINTERNAL, "value %d: its op is of another phase", id);
    for (int axis = 0; axis < KPAR_AXIS_COUNT; axis++) {
        const kpar_placement *p = &v->placement[axis];
        if (p->kind == KPAR_SPLIT && (p->dim < 0 || p->dim >= v->shape.rank))
            return kpar_fail(KPAR_EINTERNAL, "value %d is split on dimension %d of %d", id, p->dim,
                             v->shape.rank);
    }
    return KPAR_OK;
}

static kpar_status check_ends(const kpar_graph *g)
{
    for (size_t i = 0; i < g->n_states; i++) {
        const kpar_value *before = &g->values[g->states[i].value], *after = &g->values[g->states[i].next];
        if ((before->source != KPAR_FROM_VARIABLE && before->source != KPAR_FROM_COPY) ||
            before->index != g->states[i].variable)
            return kpar_fail(KPAR_EINTERNAL, "state %zu does not start from its variable", i);
        if (!kpar_shape_equal(&before->shape, &after->shape) || before->dtype != after->dtype)
            return kpar_fail(KPAR_EINTERNAL, "variable %d changes its type or shape (layer '%s')",
                             g->states[i].variable, after->layer);
    }
    return KPAR_OK;
}

kpar_status kpar_graph_check(const kpar_graph *graph)
{
    for (size_t i = 0; i < graph->n_ops; i++) KPAR_TRY(check_op(graph, (kpar_op_id)i));
    for (size_t i = 0; i < graph->n_values; i++) KPAR_TRY(check_value(graph, (kpar_value_id)i));
    return check_ends(graph);
}
