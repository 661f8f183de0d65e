/* matmul: (..., m, k) x (..., k, n) = (..., m, n). Leading dimensions are equal. */
#include "graph/build.h"
#include "graph/op_rules.h"

static bool same_dim(kpar_dim a, kpar_dim b) { return a.size == b.size && a.batch == b.batch; }

KPAR_SHAPE_RULE(matmul)
{
    const kpar_shape *x = &kpar_graph_value(g, inputs[0])->shape, *y = &kpar_graph_value(g, inputs[1])->shape;
    const int r = x->rank;
    char one[KPAR_SHAPE_TEXT], other[KPAR_SHAPE_TEXT];
    (void)n_inputs;
    (void)n_outputs;
    bool fits = r >= 2 && y->rank == r;
    for (int i = 0; fits && i < r - 2; i++) fits = same_dim(x->dims[i], y->dims[i]);
    if (fits)
        fits = same_dim(x->dims[a->transpose_a ? r - 2 : r - 1], y->dims[a->transpose_b ? r - 1 : r - 2]);
    if (!fits)
        return kpar_fail(KPAR_EUNSUPPORTED, "shapes %s%s and %s%s do not fit", kpar_shape_format(one, x),
                         a->transpose_a ? "^T" : "", kpar_shape_format(other, y), a->transpose_b ? "^T" : "");
    shapes[0] = *x;
    shapes[0].dims[r - 2] = x->dims[a->transpose_a ? r - 1 : r - 2];
    shapes[0].dims[r - 1] = y->dims[a->transpose_b ? r - 2 : r - 1];
    dtypes[0] = g->real;
    return KPAR_OK;
}

/* With y = A B: dA = dy B^T and dB = A^T dy, transposed where the operand is. */
KPAR_GRADIENT_RULE(matmul)
{
    const kpar_op op = g->ops[id];
    const bool ta = op.attributes.transpose_a, tb = op.attributes.transpose_b;
    const kpar_value_id a = op.inputs[0], b = op.inputs[1], d = dy[0];
    if (d < 0) return KPAR_OK;
    if (wanted[0]) {
        if (ta)
            KPAR_TRY(kpar_build_matmul(g, b, tb, d, true, &dx[0]));
        else
            KPAR_TRY(kpar_build_matmul(g, d, false, b, !tb, &dx[0]));
    }
    if (wanted[1]) {
        if (tb)
            KPAR_TRY(kpar_build_matmul(g, d, true, a, ta, &dx[1]));
        else
            KPAR_TRY(kpar_build_matmul(g, a, !ta, d, false, &dx[1]));
    }
    return KPAR_OK;
}

KPAR_FLOPS_RULE(matmul)
{
    (void)n_inputs;
    int64_t inner = inputs[0].dims[a->transpose_a ? inputs[0].rank - 2 : inputs[0].rank - 1];
    return 2.0 * (double)kpar_array_count(&outputs[0]) * (double)inner;
}
