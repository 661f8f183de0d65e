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

int *kpar_variable_homes(const kpar_graph *graph, const kpar_catalog *catalog, kpar_mesh mesh, const int *stages)
{
    int *first = find_stages(graph, catalog->n, stages);
    int *homes = kpar_alloc(((size_t)catalog->n + 1) * sizeof *homes);
    for (int i = 0; i < catalog->n; i++) {
        const kpar_variable *v = &catalog->variables[i];
        homes[i] = kpar_variable_is_optimizer_scalar(v) ? -1
                                                        : kpar_mesh_of_stage(mesh, first[v->of >= 0 ? v->of : i]);
    }
    kpar_free(first);
    return homes;
}
