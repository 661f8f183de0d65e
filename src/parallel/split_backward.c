/* Splitting backward into what others need and what may wait; Qi et al., "Zero bubble pipeline parallelism" (2023). */
#include "parallel/split_backward.h"

#include <string.h>

/* Goes backward through the ops: one that is needed needs what it reads, and so does another layer's. */
static void find_needed(const kpar_graph *g, bool *needed)
{
    for (size_t i = g->n_ops; i-- > 0;) {
        const kpar_op *op = &g->ops[i];
        if (op->phase != KPAR_PHASE_MICROBATCH) continue;
        needed[i] = needed[i] || op->kind == KPAR_OP_SEND || op->kind == KPAR_OP_RECEIVE;
        for (int k = 0; k < op->n_inputs; k++) {
            const kpar_op_id maker = g->values[op->inputs[k]].op;
            if (maker >= 0 && (needed[i] || strcmp(g->ops[maker].layer, op->layer) != 0))
                needed[maker] = true;
        }
    }
}

kpar_status kpar_split_backward(const kpar_graph *graph, kpar_graph **split)
{
    kpar_rebuild r;
    bool *needed = kpar_alloc_zeroed(graph->n_ops + 1, sizeof *needed);
    find_needed(graph, needed);
    kpar_rebuild_begin(&r, graph);
    for (size_t i = 0; i < graph->n_ops; i++) {
        kpar_rebuild_copy(&r, (kpar_op_id)i);
        kpar_op *op = &r.graph->ops[i];
        if (op->phase == KPAR_PHASE_MICROBATCH && op->part == KPAR_BACKWARD && !needed[i])
            op->part = KPAR_BACKWARD_WEIGHT;
    }
    kpar_rebuild_end(&r);
    kpar_free(needed);
    *split = r.graph;
    return KPAR_OK;
}
