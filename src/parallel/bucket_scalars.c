/* Sums of scalars of the update joined: a norm a weight need not be a message a weight. Those that depend on no other go
 * first, all together, then those that depend on the first ones, and so on. */
#include "parallel/bucket.h"

#include <stdlib.h>

enum { NO_STAGE = -1, SEVERAL_STAGES = -2 };

/* An op of the update: the stage that computes it, and how many sums of scalars follow on one another up to it. */
typedef struct placed_op {
    kpar_op_id op;
    int stage, depth;
    bool joins;
} placed_op;

/* A sum over ranks of one number that microbatches have no part in: gradients have buckets of their own. */
static bool joins(const kpar_graph *g, const kpar_op *op)
{
    if (op->phase != KPAR_PHASE_UPDATE || op->kind != KPAR_OP_ALL_REDUCE || op->n_inputs != 1) return false;
    const kpar_value *v = &g->values[op->inputs[0]];
    return v->op >= 0 && g->ops[v->op].kind != KPAR_OP_ACCUMULATE && v->shape.rank == 0;
}

/* Values that the guard of the update is made of: its sum is taken while backward passes run, and does not wait for what
 * comes of them. */
static bool *find_guard(const kpar_graph *g)
{
    bool *guard = kpar_alloc_zeroed(g->n_values + 1, sizeof *guard);
    for (size_t i = 0; i < g->n_outputs; i++)
        if (g->outputs[i].kind == KPAR_OUTPUT_GUARD) guard[g->outputs[i].value] = true;
    for (size_t i = g->n_ops; i-- > 0;)
        for (int k = 0; k < g->ops[i].n_inputs; k++)
            if (g->ops[i].n_outputs > 0 && guard[g->ops[i].outputs[0]]) guard[g->ops[i].inputs[k]] = true;
    return guard;
}

static int both_stages(int a, int b)
{
    if (a == NO_STAGE || a == b) return b;
    return b == NO_STAGE ? a : SEVERAL_STAGES;
}

/* Of each variable, the stage whose microbatches read it. */
static int *find_stages_of_variables(const kpar_graph *g)
{
    int n = 0;
    for (size_t i = 0; i < g->n_values; i++)
        if (g->values[i].phase == KPAR_PHASE_STATE && g->values[i].index >= n) n = g->values[i].index + 1;
    int *stages = kpar_alloc((size_t)(n + 1) * sizeof *stages);
    for (int i = 0; i < n; i++) stages[i] = NO_STAGE;
    for (size_t i = 0; i < g->n_ops; i++)
        for (int k = 0; k < g->ops[i].n_inputs; k++) {
            const kpar_value *v = &g->values[g->ops[i].inputs[k]];
            if (v->phase == KPAR_PHASE_STATE)
                stages[v->index] = both_stages(stages[v->index], g->ops[i].stage);
        }
    return stages;
}

/* Stages of values: an op of the update has no stage of its own but where it moves something between stages; it is
 * where the gradients and weights are that it comes from. */
static int *find_stages(const kpar_graph *g)
{
    int *stages = kpar_alloc((g->n_values + 1) * sizeof *stages), *variables = find_stages_of_variables(g);
    for (size_t i = 0; i < g->n_values; i++) {
        const kpar_value *v = &g->values[i];
        stages[i] = v->phase == KPAR_PHASE_STATE ? variables[v->index] : NO_STAGE;
    }
    for (size_t i = 0; i < g->n_ops; i++) {
        const kpar_op *op = &g->ops[i];
        int stage = op->stage;
        for (int k = 0; k < op->n_inputs && op->stage < 0; k++)
            stage = both_stages(stage, stages[op->inputs[k]]);
        for (int k = 0; k < op->n_outputs; k++) stages[op->outputs[k]] = stage;
    }
    kpar_free(variables);
    return stages;
}

static size_t count_channels(const kpar_graph *g)
{
    int n = 0;
    for (size_t i = 0; i < g->n_ops; i++)
        if (g->ops[i].kind == KPAR_OP_SEND && g->ops[i].attributes.channel >= n)
            n = g->ops[i].attributes.channel + 1;
    return (size_t)n;
}

/* Where the update's ops belong, in their order. What is received is as deep as what was sent: else two stages could each
 * wait first for what the other sends later. */
static size_t place_ops(const kpar_graph *g, placed_op *ops)
{
    int *depths = kpar_alloc_zeroed(g->n_values + 1, sizeof *depths), *stages = find_stages(g);
    int *sent = kpar_alloc_zeroed(count_channels(g) + 1, sizeof *sent);
    bool *guard = find_guard(g);
    size_t n = 0;
    for (size_t i = 0; i < g->n_ops; i++) {
        const kpar_op *op = &g->ops[i];
        placed_op placed = {.op = (kpar_op_id)i, .joins = joins(g, op) && !guard[op->outputs[0]]};
        if (op->phase != KPAR_PHASE_UPDATE) continue;
        for (int k = 0; k < op->n_inputs; k++)
            if (depths[op->inputs[k]] > placed.depth) placed.depth = depths[op->inputs[k]];
        if (op->kind == KPAR_OP_RECEIVE) placed.depth = sent[op->attributes.channel];
        if (op->kind == KPAR_OP_SEND) sent[op->attributes.channel] = placed.depth;
        for (int k = 0; k < op->n_outputs; k++) depths[op->outputs[k]] = placed.depth + placed.joins;
        placed.stage = op->n_outputs ? stages[op->outputs[0]] : NO_STAGE;
        ops[n++] = placed;
    }
    kpar_free(depths);
    kpar_free(stages);
    kpar_free(sent);
    kpar_free(guard);
    return n;
}

/* Of one depth, the sums come last. */
static int by_depth(const void *a, const void *b)
{
    const placed_op *x = a, *y = b;
    if (x->depth != y->depth) return x->depth - y->depth;
    if (x->joins != y->joins) return x->joins - y->joins;
    return x->op - y->op;
}

static bool alike(const kpar_graph *g, const placed_op *a, const placed_op *b)
{
    const kpar_op *x = &g->ops[a->op], *y = &g->ops[b->op];
    return a->joins && b->joins && a->depth == b->depth && a->stage == b->stage && a->stage >= 0 &&
           x->attributes.mesh_axis == y->attributes.mesh_axis &&
           x->attributes.reduction == y->attributes.reduction &&
           g->values[x->inputs[0]].dtype == g->values[y->inputs[0]].dtype;
}

/* Appends ops[first] with those of ops[first + 1 .. n) that are like it, which are marked as done by depth -1. */
static void append_joined(kpar_rebuild *r, placed_op *ops, size_t first, size_t n)
{
    kpar_value_id inputs[KPAR_OP_OUTPUTS], outputs[KPAR_OP_OUTPUTS];
    const kpar_graph *g = r->old;
    kpar_op joined = g->ops[ops[first].op];
    joined.n_inputs = 0;
    for (size_t i = first; i < n && joined.n_inputs < KPAR_OP_OUTPUTS; i++) {
        if (i != first && !alike(g, &ops[first], &ops[i])) continue;
        inputs[joined.n_inputs] = g->ops[ops[i].op].inputs[0];
        outputs[joined.n_inputs++] = g->ops[ops[i].op].outputs[0];
        if (i != first) ops[i].depth = -1;
    }
    joined.n_outputs = joined.n_inputs;
    joined.inputs = inputs;
    joined.outputs = outputs;
    kpar_rebuild_append(r, &joined);
}

kpar_status kpar_bucket_scalars(const kpar_graph *graph, kpar_graph **bucketed)
{
    kpar_rebuild r;
    placed_op *ops = kpar_alloc((graph->n_ops + 1) * sizeof *ops);
    const size_t n = place_ops(graph, ops);
    kpar_rebuild_begin(&r, graph);
    for (size_t i = 0; i < graph->n_ops; i++)
        if (graph->ops[i].phase != KPAR_PHASE_UPDATE) kpar_rebuild_copy(&r, (kpar_op_id)i);
    qsort(ops, n, sizeof *ops, by_depth);
    for (size_t i = 0; i < n; i++) {
        if (ops[i].depth < 0) continue;
        if (ops[i].joins)
            append_joined(&r, ops, i, n);
        else
            kpar_rebuild_copy(&r, ops[i].op);
    }
    kpar_rebuild_end(&r);
    kpar_free(ops);
    *bucketed = r.graph;
    return KPAR_OK;
}
