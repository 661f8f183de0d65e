/* Short ways to append ops. */
#include "graph/build.h"

#include <string.h>

/* Constants among the inputs become part of the expression; inputs that it does not read are left out unless the
 * result would change its shape. Returns the new expression and compacts `inputs`. */
static const kpar_expression *absorb(kpar_graph *g, const kpar_expression *e, kpar_value_id *inputs,
                                     int *n_inputs)
{
    int kept = 0;
    bool changed = false;
    kpar_x *replaced = kpar_arena_alloc(g->arena, ((size_t)*n_inputs + 1) * sizeof *replaced);
    kpar_x *outputs = kpar_arena_alloc(g->arena, (size_t)e->n_outputs * sizeof *outputs);
    kpar_value_id *old = kpar_arena_copy(g->arena, inputs, (size_t)*n_inputs * sizeof *inputs);
    kpar_expression_builder *builder = kpar_expression_begin(*n_inputs);
    for (int i = 0; i < *n_inputs; i++) {
        kpar_op_id op = g->values[old[i]].op;
        bool constant = op >= 0 && g->ops[op].kind == KPAR_OP_CONSTANT;
        if (constant)
            replaced[i] = kpar_x_constant(builder, g->ops[op].attributes.value);
        else if (kpar_expression_reads(e, i)) {
            replaced[i] = kpar_x_input(builder, kept);
            inputs[kept++] = old[i];
            continue;
        } else
            replaced[i] = kpar_x_constant(builder, 0);
        changed = true;
    }
    kpar_x_inline(builder, e, replaced, outputs);
    const kpar_expression *absorbed = kpar_expression_end(builder, g->arena, outputs, e->n_outputs);
    if (!changed) return e;
    kpar_expression *shrunk = kpar_arena_copy(g->arena, absorbed, sizeof *absorbed);
    shrunk->n_inputs = kept;
    *n_inputs = kept;
    return shrunk;
}

static kpar_status append_map(kpar_graph *g, const kpar_expression *e, const kpar_shape *shape,
                              const kpar_value_id *inputs, int n_inputs, kpar_value_id *first)
{
    return kpar_graph_append(g, KPAR_OP_MAP, inputs, n_inputs,
                             &(kpar_attributes){.expression = e, .shape = *shape}, first);
}

/* The input that output `i` simply is, or -1. */
static kpar_value_id passed_through(const kpar_graph *g, const kpar_expression *e, int i,
                                    const kpar_value_id *inputs, const kpar_shape *shape, kpar_dtype dtype)
{
    const kpar_scalar *s = &e->scalars[e->outputs[i]];
    if (s->op != KPAR_SCALAR_INPUT) return -1;
    const kpar_value *v = &g->values[inputs[s->index]];
    return v->dtype == dtype && kpar_shape_equal(&v->shape, shape) ? inputs[s->index] : -1;
}

/* The expression without the outputs in `dropped`. */
static const kpar_expression *without_outputs(kpar_graph *g, const kpar_expression *e, const bool *dropped,
                                              int n_left)
{
    int *outputs = kpar_arena_alloc(g->arena, (size_t)n_left * sizeof *outputs);
    kpar_expression_builder *builder = kpar_expression_begin(e->n_inputs);
    kpar_x *inputs = kpar_arena_alloc(g->arena, ((size_t)e->n_inputs + 1) * sizeof *inputs);
    kpar_x *all = kpar_arena_alloc(g->arena, (size_t)e->n_outputs * sizeof *all);
    for (int i = 0; i < e->n_inputs; i++) inputs[i] = kpar_x_input(builder, i);
    kpar_x_inline(builder, e, inputs, all);
    for (int i = 0, k = 0; i < e->n_outputs; i++)
        if (!dropped[i]) outputs[k++] = all[i];
    return kpar_expression_end(builder, g->arena, outputs, n_left);
}

kpar_status kpar_build_map_many(kpar_graph *g, const kpar_expression *e, const kpar_value_id *inputs,
                                int n_inputs, kpar_value_id *outs)
{
    kpar_dtype dtypes[KPAR_OP_OUTPUTS];
    kpar_shape shapes[KPAR_OP_OUTPUTS];
    int n_outputs = 0, left = 0;
    const kpar_op_row *row = kpar_op_row_get(KPAR_OP_MAP);
    kpar_status status =
        row->shape(g, inputs, n_inputs, &(kpar_attributes){.expression = e}, dtypes, shapes, &n_outputs);
    if (status != KPAR_OK) return kpar_fail_in(status, "layer '%s': map", g->layer);

    kpar_value_id *read = kpar_arena_copy(g->arena, inputs, (size_t)n_inputs * sizeof *inputs);
    int n_read = n_inputs;
    e = absorb(g, e, read, &n_read);
    bool dropped[KPAR_OP_OUTPUTS];
    for (int i = 0; i < n_outputs; i++) {
        outs[i] = passed_through(g, e, i, read, &shapes[i], dtypes[i]);
        dropped[i] = outs[i] >= 0;
        left += !dropped[i];
    }
    if (left == 0) return KPAR_OK;
    if (left < n_outputs) {
        e = without_outputs(g, e, dropped, left);
        e = absorb(g, e, read, &n_read);
    }
    if (left == 1 && n_read == 0 && dtypes[0] == g->real) { /* nothing is read: a constant */
        double value;
        kpar_expression_evaluate(e, NULL, &value);
        for (int i = 0; i < n_outputs; i++)
            if (!dropped[i]) return kpar_build_constant(g, value, shapes[i], &outs[i]);
    }
    kpar_value_id first;
    KPAR_TRY(append_map(g, e, &shapes[0], read, n_read, &first));
    const kpar_value_id *produced = g->ops[g->n_ops - 1].outputs;
    for (int i = 0, k = 0; i < n_outputs; i++)
        if (!dropped[i]) {
            g->values[produced[k]].dtype = dtypes[i];
            outs[i] = produced[k++];
        }
    return KPAR_OK;
}

kpar_status kpar_build_map(kpar_graph *g, const kpar_expression *e, const kpar_value_id *inputs, int n_inputs,
                           kpar_value_id *out)
{
    return kpar_build_map_many(g, e, inputs, n_inputs, out);
}

kpar_status kpar_build_broadcast(kpar_graph *g, kpar_shape shape, kpar_value_id a, kpar_value_id *out)
{
    const kpar_value *v = &g->values[a];
    if (kpar_shape_equal(&v->shape, &shape)) {
        *out = a;
        return KPAR_OK;
    }
    if (v->op >= 0 && g->ops[v->op].kind == KPAR_OP_CONSTANT)
        return kpar_build_constant(g, g->ops[v->op].attributes.value, shape, out);
    kpar_expression_builder *builder = kpar_expression_begin(1);
    kpar_x x = kpar_x_input(builder, 0);
    const kpar_expression *identity = kpar_expression_end(builder, g->arena, &x, 1);
    return append_map(g, identity, &shape, &a, 1, out);
}

/* x toward 0. */
static kpar_x truncated(kpar_expression_builder *e, kpar_x x)
{
    const kpar_x negative = kpar_x_neg(e, kpar_x_floor(e, kpar_x_neg(e, x)));
    return kpar_x_select(e, kpar_x_lt(e, x, kpar_x_constant(e, 0)), negative, kpar_x_floor(e, x));
}

kpar_status kpar_build_cast(kpar_graph *g, kpar_dtype dtype, kpar_value_id a, kpar_value_id *out)
{
    const kpar_value v = g->values[a];
    *out = a;
    if (v.dtype == dtype) return KPAR_OK;
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x x = kpar_x_input(e, 0);
    if (dtype == KPAR_BOOL)
        x = kpar_x_sub(e, kpar_x_constant(e, 1), kpar_x_eq(e, x, kpar_x_constant(e, 0)));
    else if (dtype != g->real && v.dtype == g->real)
        x = truncated(e, x);
    KPAR_TRY(append_map(g, kpar_expression_end(e, g->arena, &x, 1), &v.shape, &a, 1, out));
    g->values[*out].dtype = dtype;
    return KPAR_OK;
}

kpar_status kpar_build_unary(kpar_graph *g, kpar_scalar_op op, kpar_value_id a, kpar_value_id *out)
{
    kpar_expression_builder *builder = kpar_expression_begin(1);
    kpar_x y = kpar_x_unary(builder, op, kpar_x_input(builder, 0));
    return kpar_build_map(g, kpar_expression_end(builder, g->arena, &y, 1), &a, 1, out);
}

kpar_status kpar_build_binary(kpar_graph *g, kpar_scalar_op op, kpar_value_id a, kpar_value_id b,
                              kpar_value_id *out)
{
    kpar_expression_builder *builder = kpar_expression_begin(2);
    kpar_x y = kpar_x_binary(builder, op, kpar_x_input(builder, 0), kpar_x_input(builder, 1));
    return kpar_build_map(g, kpar_expression_end(builder, g->arena, &y, 1), (kpar_value_id[]){a, b}, 2, out);
}

kpar_status kpar_build_affine(kpar_graph *g, kpar_value_id a, double factor, double offset,
                              kpar_value_id *out)
{
    kpar_expression_builder *builder = kpar_expression_begin(1);
    kpar_x scaled = kpar_x_mul(builder, kpar_x_input(builder, 0), kpar_x_constant(builder, factor));
    kpar_x y = kpar_x_add(builder, scaled, kpar_x_constant(builder, offset));
    return kpar_build_map(g, kpar_expression_end(builder, g->arena, &y, 1), &a, 1, out);
}

kpar_status kpar_build_reduce(kpar_graph *g, kpar_reduction reduction, unsigned axes, kpar_value_id a,
                              kpar_value_id *out)
{
    *out = a;
    for (int i = KPAR_MAX_RANK - 1; reduction == KPAR_REDUCE_PRODUCT && (axes & (axes - 1)) != 0; i--) {
        if (!(axes >> i & 1)) continue; /* one axis after the other: so it has a gradient */
        KPAR_TRY(kpar_build_reduce(g, reduction, 1u << i, *out, out));
        axes ^= 1u << i;
    }
    if (!axes) return KPAR_OK;
    return kpar_graph_append(g, KPAR_OP_REDUCE, out, 1,
                             &(kpar_attributes){.reduction = reduction, .axes = axes}, out);
}

kpar_status kpar_build_arg_reduce(kpar_graph *g, int axis, kpar_value_id a, kpar_value_id *out)
{
    return kpar_graph_append(g, KPAR_OP_ARG_REDUCE, &a, 1, &(kpar_attributes){.axis = axis}, out);
}

kpar_status kpar_build_cumulative(kpar_graph *g, kpar_reduction reduction, int axis, bool exclusive,
                                  bool reverse, kpar_value_id a, kpar_value_id *out)
{
    const kpar_attributes attributes = {
        .reduction = reduction, .axis = axis, .exclusive = exclusive, .reverse = reverse};
    return kpar_graph_append(g, KPAR_OP_CUMULATIVE, &a, 1, &attributes, out);
}

kpar_status kpar_build_matmul(kpar_graph *g, kpar_value_id a, bool transpose_a, kpar_value_id b,
                              bool transpose_b, kpar_value_id *out)
{
    const kpar_attributes attributes = {.transpose_a = transpose_a, .transpose_b = transpose_b};
    return kpar_graph_append(g, KPAR_OP_MATMUL, (kpar_value_id[]){a, b}, 2, &attributes, out);
}

kpar_status kpar_build_conv(kpar_graph *g, const kpar_attributes *window, kpar_value_id x,
                            kpar_value_id kernel, kpar_value_id *out)
{
    return kpar_graph_append(g, KPAR_OP_CONV, (kpar_value_id[]){x, kernel}, 2, window, out);
}

kpar_status kpar_build_conv_input_gradient(kpar_graph *g, const kpar_attributes *window, kpar_value_id x,
                                           kpar_value_id kernel, kpar_value_id *out)
{
    return kpar_graph_append(g, KPAR_OP_CONV_INPUT_GRADIENT, (kpar_value_id[]){x, kernel}, 2, window, out);
}

kpar_status kpar_build_pool(kpar_graph *g, const kpar_attributes *window, kpar_value_id x, kpar_value_id *out)
{
    return kpar_graph_append(g, KPAR_OP_POOL, &x, 1, window, out);
}

kpar_status kpar_build_transpose(kpar_graph *g, const int *permutation, kpar_value_id a, kpar_value_id *out)
{
    kpar_attributes attributes = {0};
    memcpy(attributes.permutation, permutation, (size_t)g->values[a].shape.rank * sizeof *permutation);
    return kpar_graph_append(g, KPAR_OP_TRANSPOSE, &a, 1, &attributes, out);
}

kpar_status kpar_build_reshape(kpar_graph *g, kpar_shape shape, kpar_value_id a, kpar_value_id *out)
{
    *out = a;
    if (kpar_shape_equal(&g->values[a].shape, &shape)) return KPAR_OK;
    return kpar_graph_append(g, KPAR_OP_RESHAPE, &a, 1, &(kpar_attributes){.shape = shape}, out);
}

static kpar_status append_bounds(kpar_graph *g, kpar_op_kind kind, const int64_t *start, const int64_t *stop,
                                 kpar_value_id a, kpar_value_id *out)
{
    kpar_attributes attributes = {0};
    size_t bytes = (size_t)g->values[a].shape.rank * sizeof *start;
    memcpy(attributes.start, start, bytes);
    memcpy(attributes.stop, stop, bytes);
    return kpar_graph_append(g, kind, &a, 1, &attributes, out);
}

kpar_status kpar_build_slice(kpar_graph *g, const int64_t *start, const int64_t *stop, kpar_value_id a,
                             kpar_value_id *out)
{
    return append_bounds(g, KPAR_OP_SLICE, start, stop, a, out);
}

kpar_status kpar_build_pad(kpar_graph *g, const int64_t *before, const int64_t *after, kpar_value_id a,
                           kpar_value_id *out)
{
    return append_bounds(g, KPAR_OP_PAD, before, after, a, out);
}

kpar_status kpar_build_concat(kpar_graph *g, int axis, const kpar_value_id *inputs, int n_inputs,
                              kpar_value_id *out)
{
    return kpar_graph_append(g, KPAR_OP_CONCAT, inputs, n_inputs, &(kpar_attributes){.axis = axis}, out);
}

kpar_status kpar_build_gather(kpar_graph *g, kpar_value_id table, kpar_value_id indices, kpar_value_id *out)
{
    return kpar_graph_append(g, KPAR_OP_GATHER, (kpar_value_id[]){table, indices}, 2, NULL, out);
}

kpar_status kpar_build_gather_each(kpar_graph *g, kpar_value_id table, kpar_value_id indices,
                                   kpar_value_id *out)
{
    return kpar_graph_append(g, KPAR_OP_GATHER, (kpar_value_id[]){table, indices}, 2,
                             &(kpar_attributes){.axis = 1}, out);
}

kpar_status kpar_build_constant(kpar_graph *g, double value, kpar_shape shape, kpar_value_id *out)
{
    return kpar_graph_append(g, KPAR_OP_CONSTANT, NULL, 0,
                             &(kpar_attributes){.value = value, .shape = shape, .dtype = g->real}, out);
}

kpar_status kpar_build_iota(kpar_graph *g, int axis, kpar_dtype dtype, kpar_shape shape, kpar_value_id *out)
{
    return kpar_graph_append(g, KPAR_OP_IOTA, NULL, 0,
                             &(kpar_attributes){.axis = axis, .shape = shape, .dtype = dtype}, out);
}

kpar_status kpar_build_random(kpar_graph *g, uint64_t key, kpar_value_id positions, kpar_value_id step,
                              kpar_shape shape, kpar_value_id *out)
{
    return kpar_graph_append(g, KPAR_OP_RANDOM, (kpar_value_id[]){positions, step}, 2,
                             &(kpar_attributes){.key = key, .shape = shape}, out);
}

kpar_status kpar_build_softmax(kpar_graph *g, kpar_value_id a, kpar_value_id *out)
{
    return kpar_graph_append(g, KPAR_OP_SOFTMAX, &a, 1, NULL, out);
}

kpar_status kpar_build_cross_entropy(kpar_graph *g, kpar_value_id logits, kpar_value_id labels, bool sparse,
                                     kpar_value_id *out)
{
    return kpar_graph_append(g, KPAR_OP_CROSS_ENTROPY, (kpar_value_id[]){logits, labels}, 2,
                             &(kpar_attributes){.sparse = sparse}, out);
}

kpar_status kpar_build_accumulate(kpar_graph *g, kpar_value_id a, kpar_value_id *out)
{
    const kpar_phase before = g->phase;
    g->phase = g->values[a].phase == KPAR_PHASE_FACTS_ROWS ? KPAR_PHASE_FACTS : KPAR_PHASE_UPDATE;
    kpar_status status = kpar_graph_append(g, KPAR_OP_ACCUMULATE, &a, 1, NULL, out);
    g->phase = before;
    return status;
}

kpar_status kpar_build_compute_copy(kpar_graph *g, kpar_value_id a, kpar_value_id *out)
{
    return kpar_graph_append(g, KPAR_OP_COMPUTE_COPY, &a, 1, NULL, out);
}
