/* The bucket pass. */
#include "parallel/bucket.h"

#include <stdlib.h>

/* A collective that may be joined with others. */
typedef struct member {
    kpar_op_id op;
    int kind, stage, owner; /* owner: of a reduce-scatter's whole tensor, else -1 */
    kpar_op_id completes;   /* the backward op after which its input is complete */
    size_t bytes;
} member;

/* Sums of gradients; what is complete with the forward pass does not wait for them. */
static bool joins(const kpar_graph *g, const kpar_op *op)
{
    if (op->phase != KPAR_PHASE_UPDATE || op->attributes.mesh_axis != KPAR_AXIS_DATA || op->n_inputs != 1)
        return false;
    if (op->kind != KPAR_OP_ALL_REDUCE && op->kind != KPAR_OP_REDUCE_SCATTER) return false;
    kpar_op_id sum = g->values[op->inputs[0]].op;
    if (sum < 0 || g->ops[sum].kind != KPAR_OP_ACCUMULATE) return false;
    kpar_op_id completes = g->values[g->ops[sum].inputs[0]].op;
    return completes >= 0 && g->ops[completes].part != KPAR_FORWARD;
}

static member describe(const kpar_graph *g, kpar_op_id id)
{
    const kpar_op *op = &g->ops[id];
    const kpar_value *v = &g->values[op->inputs[0]];
    const kpar_op_id completes = g->values[g->ops[v->op].inputs[0]].op;
    member m = {.op = id,
                .kind = op->kind,
                .stage = g->ops[completes].stage,
                .owner = -1,
                .completes = completes,
                .bytes = kpar_dtype_bytes(v->dtype)};
    for (int i = 0; i < v->shape.rank; i++) m.bytes *= (size_t)v->shape.dims[i].size;
    if (op->kind == KPAR_OP_REDUCE_SCATTER)
        m.owner = g->values[op->outputs[0]].placement[KPAR_AXIS_DATA].owner;
    return m;
}

static int as_completed(const void *a, const void *b)
{
    const member *x = a, *y = b;
    if (x->stage != y->stage) return x->stage - y->stage;
    if (x->kind != y->kind) return x->kind - y->kind;
    return x->completes - y->completes;
}

static int by_owner(const void *a, const void *b)
{
    const member *x = a, *y = b;
    return x->owner != y->owner ? x->owner - y->owner : x->completes - y->completes;
}

static bool may_join(const member *first, const member *next, int n, size_t bytes, size_t limit)
{
    const bool by_rows = next->kind == KPAR_OP_REDUCE_SCATTER && (next->owner < 0 || first->owner < 0);
    return n < KPAR_OP_OUTPUTS && first->stage == next->stage && first->kind == next->kind && !by_rows &&
           bytes + next->bytes <= limit;
}

/* Appends one op in place of members[0..n). */
static void append_bucket(kpar_rebuild *r, member *members, int n)
{
    kpar_graph *g = r->graph;
    kpar_value_id *inputs = kpar_arena_alloc(g->arena, (size_t)n * sizeof *inputs),
                  *outputs = kpar_arena_alloc(g->arena, (size_t)n * sizeof *outputs);
    if (members[0].kind == KPAR_OP_REDUCE_SCATTER) qsort(members, (size_t)n, sizeof *members, by_owner);
    kpar_op op = r->old->ops[members[0].op];
    for (int i = 0; i < n; i++) {
        const kpar_op *old = &r->old->ops[members[i].op];
        kpar_value value = r->old->values[old->outputs[0]];
        value.op = (kpar_op_id)g->n_ops;
        inputs[i] = r->value[old->inputs[0]];
        KPAR_PUSH(g->values, g->n_values, g->values_capacity) = value;
        r->value[old->outputs[0]] = outputs[i] = (kpar_value_id)g->n_values - 1;
    }
    op.inputs = inputs;
    op.outputs = outputs;
    op.n_inputs = op.n_outputs = n;
    KPAR_PUSH(g->ops, g->n_ops, g->ops_capacity) = op;
}

static void append_buckets(kpar_rebuild *r, member *members, int n_members, size_t limit)
{
    qsort(members, (size_t)n_members, sizeof *members, as_completed);
    for (int first = 0, n; first < n_members; first += n) {
        size_t bytes = members[first].bytes;
        for (n = 1; first + n < n_members && may_join(&members[first], &members[first + n], n, bytes, limit);
             n++)
            bytes += members[first + n].bytes;
        append_bucket(r, members + first, n);
    }
}

kpar_status kpar_bucket(const kpar_graph *graph, size_t bucket_bytes, kpar_graph **bucketed)
{
    kpar_rebuild r;
    member *members = kpar_alloc((graph->n_ops + 1) * sizeof *members);
    int n = 0;
    kpar_rebuild_begin(&r, graph);
    for (size_t i = 0; i < graph->n_ops; i++) { /* all that comes before the rest of the update */
        const kpar_op *op = &graph->ops[i];
        if (op->phase != KPAR_PHASE_UPDATE || op->kind == KPAR_OP_ACCUMULATE)
            kpar_rebuild_copy(&r, (kpar_op_id)i);
        if (joins(graph, op)) members[n++] = describe(graph, (kpar_op_id)i);
    }
    append_buckets(&r, members, n, bucket_bytes);
    for (size_t i = 0; i < graph->n_ops; i++) {
        const kpar_op *op = &graph->ops[i];
        if (op->phase == KPAR_PHASE_UPDATE && op->kind != KPAR_OP_ACCUMULATE && !joins(graph, op))
            kpar_rebuild_copy(&r, (kpar_op_id)i);
    }
    kpar_rebuild_end(&r);
    kpar_free(members);
    *bucketed = r.graph;
    return KPAR_OK;
}
