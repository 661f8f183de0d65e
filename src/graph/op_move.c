/* Ops whose outputs are their inputs, elsewhere or later: accumulate, compute_copy, collectives, send. */
#include "graph/op_rules.h"

KPAR_SHAPE_RULE(same)
{
    (void)a;
    if (n_inputs < 1 || n_inputs > KPAR_OP_OUTPUTS)
        return kpar_fail(KPAR_EINTERNAL, "%d inputs, at most %d", n_inputs, KPAR_OP_OUTPUTS);
    for (int i = 0; i < n_inputs; i++) {
        shapes[i] = kpar_graph_value(g, inputs[i])->shape;
        dtypes[i] = kpar_graph_value(g, inputs[i])->dtype;
    }
    *n_outputs = n_inputs;
    return KPAR_OK;
}

KPAR_SHAPE_RULE(send)
{
    (void)g;
    (void)inputs;
    (void)n_inputs;
    (void)a;
    (void)dtypes;
    (void)shapes;
    *n_outputs = 0;
    return KPAR_OK;
}

KPAR_GRADIENT_RULE(same)
{
    (void)g;
    (void)id;
    if (wanted[0]) dx[0] = dy[0];
    return KPAR_OK;
}
