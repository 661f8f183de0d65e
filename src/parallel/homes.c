#include "parallel/homes.h"

#include "base/memory.h"

/* By index of a variable, the first stage whose microbatches read it. */
static int *find_stages(const kpar_graph *g, int n_variables, const int *stages)
{
    int *first = kpar_alloc(((size_t)n_variables + 1) * sizeof *first);
    for (int i = 0; i < n_variables; i++) first[i] = -1;
    for (size_t i = 0; i < g->n_ops; i++) {
        const kpar_op *op = &g->ops[i];
        const int stage = stages ? stages[i] : op->stage;
        for (int k = 0; op->phase == KPAR_PHASE_MICROBATCH && k < op->n_inputs; k++) {
            const kpar_value *v = &g->values[op->inputs[k]];
            if (v->phase == KPAR_PHASE_STATE && (first[v->index] < 0 || stage < first[v->index]))
                first[v->index] = stage;
        }
    }
    return first;
}

/* What no microbatch reads is at home with the tensors that it becomes something of, as a moving average is with what is
 * averaged; where there are none, on the first stage. */
static void find_rest(const kpar_graph *g, int *first, const int *stages)
{
    int *of_ops = kpar_alloc((g->n_ops + 1) * sizeof *of_ops);
    for (size_t i = 0; i < g->n_ops; i++) {
        const kpar_op *op = &g->ops[i];
        const bool in_stage = op->phase == KPAR_PHASE_MICROBATCH;
        of_ops[i] = !in_stage ? -1 : stages ? stages[i] : op->stage;
        for (int k = 0; !in_stage && k < op->n_inputs; k++) {
            const kpar_value *v = &g->values[op->inputs[k]];
            const int there = v->op >= 0                     ? of_ops[v->op]
                              : v->phase == KPAR_PHASE_STATE ? first[v->index]
                                                             : -1;
            if (v->shape.rank > 0 && there > of_ops[i]) of_ops[i] = there;
        }
    }
    for (size_t i = 0; i < g->n_states; i++) {
        const kpar_op_id maker = g->values[g->states[i].next].op;
        int *own = &first[g->states[i].variable];
        if (*own < 0) *own = maker >= 0 && of_ops[maker] >= 0 ? of_ops[maker] : 0;
    }
    kpar_free(of_ops);
}

int *kpar_variable_homes(const kpar_graph *graph, const kpar_catalog *catalog, kpar_mesh mesh,
                         const int *stages)
{
    int *first = find_stages(graph, catalog->n, stages);
    int *homes = kpar_alloc(((size_t)catalog->n + 1) * sizeof *homes);
    find_rest(graph, first, stages);
    for (int i = 0; i < catalog->n; i++) {
        const kpar_variable *v = &catalog->variables[i];
        homes[i] = kpar_variable_is_optimizer_scalar(v)
                       ? -1
                       : kpar_mesh_of_stage(mesh, first[v->of >= 0 ? v->of : i]);
    }
    kpar_free(first);
    return homes;
}
