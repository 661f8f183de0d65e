/* Sums of whole values and of terms that ranks have of a value: first what is whole is added up, and the terms; then the
 * terms' sum is converted, once, and added. A value that several layers of a block read has its gradient by one all-reduce
 * however many they are, and whatever the residual connection around them adds. */
#include "parallel/place_internal.h"

static const kpar_terms none = {-1, -1};

bool kpar_adds(const kpar_graph *g, const kpar_op *op)
{
    if (op->kind != KPAR_OP_MAP || op->n_inputs != 2 || op->n_outputs != 1) return false;
    const kpar_expression *e = op->attributes.expression;
    const kpar_scalar *last = &e->scalars[e->outputs[0]];
    const kpar_scalar *a = &e->scalars[last->a], *b = &e->scalars[last->b];
    const kpar_shape *result = &g->values[op->outputs[0]].shape;
    return last->op == KPAR_SCALAR_ADD && a->op == KPAR_SCALAR_INPUT && b->op == KPAR_SCALAR_INPUT &&
           a->index != b->index && kpar_shape_equal(&g->values[op->inputs[0]].shape, result) &&
           kpar_shape_equal(&g->values[op->inputs[1]].shape, result);
}

/* The only op that reads the value, a sum; or NULL. */
static const kpar_op *only_sum_of(const kpar_placing *p, kpar_value_id old)
{
    const kpar_graph *g = p->r.old;
    const kpar_op *op = p->only_user[old] >= 0 ? &g->ops[p->only_user[old]] : NULL;
    return op && kpar_adds(g, op) ? op : NULL;
}

void kpar_find_only_users(kpar_placing *p)
{
    enum { UNREAD = -1, SEVERAL = -2 };
    const kpar_graph *g = p->r.old;
    for (size_t i = 0; i < g->n_values; i++) {
        p->only_user[i] = UNREAD;
        p->terms[i] = none;
    }
    for (size_t i = 0; i < g->n_ops; i++)
        for (int k = 0; k < g->ops[i].n_inputs; k++) {
            int *user = &p->only_user[g->ops[i].inputs[k]];
            *user = *user == UNREAD ? (int)i : SEVERAL;
        }
    for (size_t i = 0; i < g->n_states; i++) p->only_user[g->states[i].next] = SEVERAL;
    for (size_t i = 0; i < g->n_outputs; i++) p->only_user[g->outputs[i].value] = SEVERAL;
}

/* What an input is made of; false: of neither whole values nor terms. */
static bool terms_of(kpar_placing *p, const kpar_op *op, kpar_value_id old, kpar_terms *terms)
{
    *terms = p->terms[old];
    if (terms->partial >= 0) return true;
    const kpar_value_id value = kpar_placed(p, old, op->phase);
    const kpar_placement at = p->r.graph->values[value].placement[KPAR_AXIS_TENSOR];
    *terms = kpar_is_sum(at) ? (kpar_terms){-1, value} : (kpar_terms){value, -1};
    return kpar_is_sum(at) || (at.kind == KPAR_REPLICATED && !kpar_is_open(p, value));
}

static bool same_data(const kpar_placing *p, kpar_value_id a, kpar_value_id b)
{
    const kpar_value *values = p->r.graph->values;
    return a < 0 || b < 0 ||
           kpar_placement_equal(values[a].placement[KPAR_AXIS_DATA], values[b].placement[KPAR_AXIS_DATA]);
}

/* The sum of two values that lie alike, or the one that there is. */
static kpar_status add(kpar_placing *p, const kpar_op *op, kpar_value_id a, kpar_value_id b,
                       kpar_value_id *sum)
{
    kpar_graph *g = p->r.graph;
    *sum = a < 0 ? b : a;
    if (a < 0 || b < 0) return KPAR_OK;
    g->layer = op->layer;
    g->phase = op->phase;
    g->part = op->part;
    g->stage = op->stage;
    KPAR_TRY(kpar_graph_append(g, KPAR_OP_MAP, (kpar_value_id[]){a, b}, 2, &op->attributes, sum));
    kpar_value *v = &g->values[*sum];
    v->dtype = g->values[a].dtype;
    for (int axis = 0; axis < KPAR_AXIS_COUNT; axis++) v->placement[axis] = g->values[a].placement[axis];
    return KPAR_OK;
}

kpar_status kpar_finish_sum(kpar_placing *p, const kpar_op *op, kpar_value_id old)
{
    kpar_terms *terms = &p->terms[old];
    if (terms->partial < 0 || p->r.value[old] >= 0) return KPAR_OK;
    kpar_value_id rest = terms->partial;
    KPAR_TRY(kpar_place_as(p, KPAR_AXIS_TENSOR, kpar_replicated, op->phase, op->part, &rest));
    KPAR_TRY(add(p, op, terms->whole, rest, &p->r.value[old]));
    *terms = none;
    return KPAR_OK;
}

kpar_status kpar_place_sum(kpar_placing *p, const kpar_op *op, bool *placed)
{
    kpar_terms a, b, sum;
    *placed = false;
    if (!kpar_adds(p->r.old, op)) return KPAR_OK;
    if (!terms_of(p, op, op->inputs[0], &a) || !terms_of(p, op, op->inputs[1], &b)) return KPAR_OK;
    const bool mixed = (a.whole >= 0 || b.whole >= 0) && (a.partial >= 0 || b.partial >= 0);
    const kpar_value_id one = a.whole >= 0 ? a.whole : a.partial, other = b.whole >= 0 ? b.whole : b.partial;
    if (!mixed || !same_data(p, one, other)) return KPAR_OK;
    KPAR_TRY(add(p, op, a.whole, b.whole, &sum.whole));
    KPAR_TRY(add(p, op, a.partial, b.partial, &sum.partial));
    const kpar_value_id result = op->outputs[0];
    p->terms[result] = sum;
    *placed = true;
    return only_sum_of(p, result) ? KPAR_OK : kpar_finish_sum(p, op, result);
}
