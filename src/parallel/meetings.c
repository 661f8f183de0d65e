/* What the graph says about variables and what the update combines them with, before anything is placed. */
#include "parallel/place_internal.h"

/* The variable that the value is, or NULL. */
static const kpar_value *variable_of(const kpar_graph *graph, kpar_value_id value)
{
    const kpar_value *v = &graph->values[value];
    return v->source == KPAR_FROM_VARIABLE ? v : NULL;
}

static bool is_trained(const kpar_placing *p, kpar_value_id old)
{
    const kpar_value *v = variable_of(p->r.old, old);
    return v && v->shape.rank > 0 && p->options->trained[v->index];
}

static void meet(kpar_placing *p, const kpar_op *op, kpar_value_id variable)
{
    const kpar_value *values = p->r.old->values;
    for (int k = 0; variable >= 0 && k < op->n_inputs; k++)
        if (kpar_shape_equal(&values[op->inputs[k]].shape, &values[variable].shape))
            p->meets[op->inputs[k]] = variable;
}

/* Gradients meet their weights in maps of the update; what they are sums of meets them there too. */
static void find_meetings(kpar_placing *p)
{
    const kpar_graph *old = p->r.old;
    p->meets = kpar_alloc((old->n_values + 1) * sizeof *p->meets);
    for (size_t i = 0; i < old->n_values; i++) p->meets[i] = -1;
    for (size_t i = old->n_ops; i-- > 0;) {
        const kpar_op *op = &old->ops[i];
        kpar_value_id variable = -1;
        if (op->kind == KPAR_OP_MAP && op->phase == KPAR_PHASE_UPDATE)
            for (int k = 0; k < op->n_inputs; k++)
                if (is_trained(p, op->inputs[k])) variable = op->inputs[k];
        if (op->kind == KPAR_OP_ACCUMULATE || kpar_adds(old, op)) variable = p->meets[op->outputs[0]];
        meet(p, op, variable);
    }
}

static void find_read(kpar_placing *p)
{
    const kpar_graph *old = p->r.old;
    int n = 0;
    for (size_t i = 0; i < old->n_values; i++) {
        const kpar_value *v = variable_of(old, (kpar_value_id)i);
        if (v && v->index >= n) n = v->index + 1;
    }
    p->read = kpar_alloc_zeroed((size_t)n + 1, sizeof *p->read);
    for (size_t i = 0; i < old->n_ops; i++)
        for (int k = 0; k < old->ops[i].n_inputs && old->ops[i].phase != KPAR_PHASE_UPDATE; k++) {
            const kpar_value *v = variable_of(old, old->ops[i].inputs[k]);
            if (v) p->read[v->index] = true;
        }
}

/* Whether the op makes products of what it reads, or what products are made of. */
static bool multiplies(const kpar_placing *p, const kpar_op *op)
{
    bool any = op->kind == KPAR_OP_MATMUL;
    for (int i = 0; i < op->n_outputs && op->kind == KPAR_OP_MAP; i++)
        any = any || p->multiplied[op->outputs[i]];
    return any && op->phase == KPAR_PHASE_UPDATE;
}

/* A matrix of which the update makes products, and the variable that meets what the matrix is made of. */
static void find_multiplied(kpar_placing *p)
{
    const kpar_graph *old = p->r.old;
    p->multiplied = kpar_alloc_zeroed(old->n_values + 1, sizeof *p->multiplied);
    for (size_t i = old->n_ops; i-- > 0;)
        if (multiplies(p, &old->ops[i]))
            for (int k = 0; k < old->ops[i].n_inputs; k++) p->multiplied[old->ops[i].inputs[k]] = true;
    for (size_t i = 0; i < old->n_values; i++)
        if (p->multiplied[i] && p->meets[i] >= 0) p->multiplied[p->meets[i]] = true;
}

void kpar_find_meetings(kpar_placing *p)
{
    find_meetings(p);
    find_multiplied(p);
    find_read(p);
}
