/* Reverse-mode gradient: walks the ops backwards, appending ordinary ops. */
#include "graph/build.h"
#include "graph/pass.h"

typedef struct reverse {
    kpar_graph *graph;
    bool *leads;              /* value depends on something wanted */
    kpar_value_id *gradients; /* of each value of the forward pass, -1: none yet */
} reverse;

static bool is_real(kpar_dtype dtype)
{
    return dtype == KPAR_F32 || dtype == KPAR_F64 || dtype == KPAR_F16 || dtype == KPAR_BF16;
}

static void find_leading(const kpar_graph *g, const kpar_value_id *wanted, int n_wanted, bool *leads)
{
    for (int i = 0; i < n_wanted; i++) leads[wanted[i]] = true;
    for (size_t i = 0; i < g->n_ops; i++) {
        const kpar_op *op = &g->ops[i];
        bool any = false;
        for (int k = 0; k < op->n_inputs; k++) any = any || leads[op->inputs[k]];
        for (int k = 0; any && k < op->n_outputs; k++)
            if (is_real(g->values[op->outputs[k]].dtype)) leads[op->outputs[k]] = true;
    }
}

static kpar_status add(reverse *r, kpar_value_id value, kpar_value_id gradient)
{
    kpar_value_id *sum = &r->gradients[value];
    if (*sum < 0) {
        *sum = gradient;
        return KPAR_OK;
    }
    return kpar_build_binary(r->graph, KPAR_SCALAR_ADD, *sum, gradient, sum);
}

static kpar_status step_back(reverse *r, kpar_op_id id)
{
    kpar_graph *g = r->graph;
    const kpar_op op = g->ops[id]; /* a copy: appending moves the ops */
    const kpar_op_row *row = kpar_op_row_get((kpar_op_kind)op.kind);
    kpar_value_id dy[KPAR_OP_OUTPUTS];
    bool reached = false, any = false;
    for (int i = 0; i < op.n_outputs; i++) {
        dy[i] = r->gradients[op.outputs[i]];
        reached = reached || dy[i] >= 0;
    }
    if (!reached) return KPAR_OK;

    bool *wanted = kpar_arena_alloc(g->arena, (size_t)op.n_inputs + 1);
    kpar_value_id *dx = kpar_arena_alloc(g->arena, ((size_t)op.n_inputs + 1) * sizeof *dx);
    for (int i = 0; i < op.n_inputs; i++) {
        wanted[i] = r->leads[op.inputs[i]];
        any = any || wanted[i];
        dx[i] = -1;
    }
    if (!any) return KPAR_OK;
    if (!row->gradient)
        return kpar_fail(KPAR_EUNSUPPORTED, "layer '%s': op %s has no gradient", op.layer, row->name);

    g->layer = op.layer;
    g->forward = id;
    g->stage = op.stage;
    KPAR_TRY(row->gradient(g, id, dy, wanted, dx));
    for (int i = 0; i < op.n_inputs; i++)
        if (wanted[i] && dx[i] >= 0) KPAR_TRY(add(r, op.inputs[i], dx[i]));
    return KPAR_OK;
}

static kpar_status walk_back(reverse *r, kpar_value_id loss)
{
    kpar_graph *g = r->graph;
    g->layer = g->values[loss].layer;
    g->forward = g->values[loss].op;
    KPAR_TRY(kpar_build_constant(g, 1, g->values[loss].shape, &r->gradients[loss]));
    for (kpar_op_id id = g->values[loss].op; id >= 0; id--) KPAR_TRY(step_back(r, id));
    return KPAR_OK;
}

kpar_status kpar_graph_gradient(kpar_graph *graph, kpar_value_id loss, const kpar_value_id *wanted,
                                int n_wanted, kpar_value_id *gradients)
{
    const kpar_graph before = *graph; /* what new ops get, to be restored */
    const size_t n = graph->n_values;
    reverse r = {graph, kpar_alloc_zeroed(n, sizeof(bool)), kpar_alloc(n * sizeof(kpar_value_id))};
    for (size_t i = 0; i < n; i++) r.gradients[i] = -1;
    find_leading(graph, wanted, n_wanted, r.leads);
    graph->phase = graph->values[loss].phase;
    graph->part = KPAR_BACKWARD;

    kpar_status status = walk_back(&r, loss);
    for (int i = 0; i < n_wanted && status == KPAR_OK; i++) gradients[i] = r.gradients[wanted[i]];

    graph->phase = before.phase;
    graph->part = before.part;
    graph->forward = before.forward;
    graph->stage = before.stage;
    graph->layer = before.layer;
    kpar_free(r.leads);
    kpar_free(r.gradients);
    return status;
}
