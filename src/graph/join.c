/* Reductions of a layer over the same elements become one with several outputs, which reads what they have in common once:
 * as the sums that a normalization's gradient needs. */
#include "graph/pass.h"

#include <string.h>

enum { MOST_MEMBERS = 8, MOST_LEADERS = 8, ALONE = -1 };

typedef struct joining {
    const kpar_graph *graph;
    kpar_op_id *leader; /* of each op: the earlier one that it joins; ALONE: none */
    kpar_op_id *next;   /* of each member, beginning with the leader: the next one; ALONE: none */
    kpar_op_id *last;   /* of each leader: the last member */
    int *members;       /* of each leader: how many, itself included */
    kpar_op_id leaders[MOST_LEADERS]; /* the last ones, a ring */
    int n_leaders;
} joining;

static bool is_reduction(const kpar_op *op)
{
    return (op->kind == KPAR_OP_REDUCE || op->kind == KPAR_OP_MAP_REDUCE) &&
           op->phase == KPAR_PHASE_MICROBATCH;
}

/* What the op reduces. */
static kpar_shape whole_of(const kpar_graph *g, const kpar_op *op)
{
    kpar_shape whole = g->values[op->inputs[0]].shape;
    for (int i = 1; i < op->n_inputs; i++) {
        const kpar_shape other = g->values[op->inputs[i]].shape, *narrow = &other;
        kpar_shape wide = whole;
        if (other.rank > whole.rank) {
            wide = other;
            narrow = &whole;
        }
        for (int d = 1; d <= narrow->rank; d++) {
            const kpar_dim dim = narrow->dims[narrow->rank - d];
            if (dim.size != 1 || dim.batch) wide.dims[wide.rank - d] = dim;
        }
        whole = wide;
    }
    return whole;
}

/* Whether both read a value as large as what they reduce. */
static bool share(const kpar_graph *g, const kpar_op *a, const kpar_op *b, const kpar_shape *whole)
{
    for (int i = 0; i < a->n_inputs; i++)
        for (int k = 0; k < b->n_inputs; k++)
            if (a->inputs[i] == b->inputs[k] && kpar_shape_equal(&g->values[a->inputs[i]].shape, whole))
                return true;
    return false;
}

static bool may_join(const joining *j, const kpar_op *op, kpar_op_id leader)
{
    const kpar_graph *g = j->graph;
    const kpar_op *first = &g->ops[leader];
    if (j->members[leader] == MOST_MEMBERS || first->part != op->part ||
        first->attributes.axes != op->attributes.axes ||
        first->attributes.reduction != op->attributes.reduction || strcmp(first->layer, op->layer) != 0)
        return false;
    for (int i = 0; i < op->n_inputs; i++)
        if (g->values[op->inputs[i]].op >= leader) return false; /* is not there yet */
    const kpar_shape whole = whole_of(g, op), other = whole_of(g, first);
    const bool large =
        whole.rank > 1; /* the loss and metrics of rows gain nothing, and lose their accumulators */
    return large && kpar_shape_equal(&whole, &other) && share(g, op, first, &whole);
}

static void find_leader(joining *j, kpar_op_id id)
{
    const kpar_graph *g = j->graph;
    const kpar_op *op = &g->ops[id];
    j->leader[id] = j->next[id] = ALONE;
    j->last[id] = id;
    j->members[id] = 1;
    if (!is_reduction(op) || g->values[op->outputs[0]].dtype != g->real) return;
    const int n = j->n_leaders < MOST_LEADERS ? j->n_leaders : MOST_LEADERS;
    for (int i = 0; i < n && j->leader[id] == ALONE; i++)
        if (may_join(j, op, j->leaders[i])) j->leader[id] = j->leaders[i];
    const kpar_op_id leader = j->leader[id];
    if (leader == ALONE) {
        j->leaders[j->n_leaders++ % MOST_LEADERS] = id;
        return;
    }
    j->next[j->last[leader]] = id;
    j->last[leader] = id;
    j->members[leader]++;
}

/* An op while others join it. */
typedef struct joint {
    kpar_expression_builder *e;
    kpar_x *arguments, *results;
    kpar_value_id *inputs, *outputs;
    int n_inputs, n_outputs;
} joint;

static int index_of(joint *t, kpar_value_id value)
{
    int i = 0;
    while (i < t->n_inputs && t->inputs[i] != value) i++;
    if (i == t->n_inputs) t->inputs[t->n_inputs++] = value;
    return i;
}

static void add_member(joint *t, const kpar_op *op)
{
    for (int i = 0; i < op->n_inputs; i++) t->arguments[i] = kpar_x_input(t->e, index_of(t, op->inputs[i]));
    if (op->kind == KPAR_OP_REDUCE)
        t->results[t->n_outputs] = t->arguments[0];
    else
        kpar_x_inline(t->e, op->attributes.expression, t->arguments, t->results + t->n_outputs);
    for (int i = 0; i < op->n_outputs; i++) t->outputs[t->n_outputs++] = op->outputs[i];
}

/* Writes the leader with all that join it. */
static void append_joint(const joining *j, kpar_rebuild *r, kpar_op_id leader)
{
    const kpar_graph *g = j->graph;
    size_t inputs = 0, outputs = 0;
    for (kpar_op_id id = leader; id != ALONE; id = j->next[id]) {
        inputs += (size_t)g->ops[id].n_inputs;
        outputs += (size_t)g->ops[id].n_outputs;
    }
    joint t = {.arguments = kpar_arena_alloc(g->arena, inputs * sizeof(kpar_x)),
               .results = kpar_arena_alloc(g->arena, outputs * sizeof(kpar_x)),
               .inputs = kpar_arena_alloc(g->arena, inputs * sizeof(kpar_value_id)),
               .outputs = kpar_arena_alloc(g->arena, outputs * sizeof(kpar_value_id))};
    for (kpar_op_id id = leader; id != ALONE; id = j->next[id])
        for (int i = 0; i < g->ops[id].n_inputs; i++) index_of(&t, g->ops[id].inputs[i]);
    t.e = kpar_expression_begin(t.n_inputs);
    for (kpar_op_id id = leader; id != ALONE; id = j->next[id]) add_member(&t, &g->ops[id]);
    kpar_op op = g->ops[leader];
    op.kind = KPAR_OP_MAP_REDUCE;
    op.inputs = t.inputs;
    op.outputs = t.outputs;
    op.n_inputs = t.n_inputs;
    op.n_outputs = t.n_outputs;
    op.attributes.expression = kpar_expression_end(t.e, g->arena, t.results, t.n_outputs);
    kpar_rebuild_append(r, &op);
}

kpar_status kpar_graph_join(const kpar_graph *graph, kpar_graph **joined)
{
    joining j = {.graph = graph,
                 .leader = kpar_alloc((graph->n_ops + 1) * sizeof *j.leader),
                 .next = kpar_alloc((graph->n_ops + 1) * sizeof *j.next),
                 .last = kpar_alloc((graph->n_ops + 1) * sizeof *j.last),
                 .members = kpar_alloc((graph->n_ops + 1) * sizeof *j.members)};
    kpar_rebuild r;
    for (size_t i = 0; i < graph->n_ops; i++) find_leader(&j, (kpar_op_id)i);
    kpar_rebuild_begin(&r, graph);
    for (size_t i = 0; i < graph->n_ops; i++) {
        if (j.members[i] > 1)
            append_joint(&j, &r, (kpar_op_id)i);
        else if (j.leader[i] == ALONE)
            kpar_rebuild_copy(&r, (kpar_op_id)i);
    }
    kpar_rebuild_end(&r);
    kpar_free(j.leader);
    kpar_free(j.next);
    kpar_free(j.last);
    kpar_free(j.members);
    *joined = r.graph;
    return KPAR_OK;
}
