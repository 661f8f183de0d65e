/* Embedding and attention. */
#include "model/lower_internal.h"

#include <math.h>

KPAR_LAYER(embedding)
{
    const json_t *config = lowering->layer->config;
    int64_t rows, columns;
    bool masks;
    kpar_value_id table, indices;
    (void)n_inputs;
    KPAR_TRY(kpar_config_integer(lowering->owner, config, "input_dim", 0, &rows));
    KPAR_TRY(kpar_config_integer(lowering->owner, config, "output_dim", 0, &columns));
    KPAR_TRY(kpar_config_boolean(lowering->owner, config, "mask_zero", false, &masks));
    if (masks)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: argument 'mask_zero' = true is not supported",
                         lowering->owner);
    if (rows <= 0 || columns <= 0)
        return kpar_fail(KPAR_EFORMAT,
                         "%s: arguments 'input_dim' and 'output_dim': expected positive numbers",
                         lowering->owner);
    const kpar_weight weight = {.name = "embeddings",
                                .initializer = "embeddings_initializer",
                                .by_default = "RandomUniform",
                                .rank = 2,
                                .dims = {rows, columns}};
    KPAR_TRY(kpar_lower_weight(lowering, &weight, &table));
    const kpar_dtype given = kpar_graph_value(lowering->graph, inputs[0])->dtype;
    KPAR_TRY(kpar_build_cast(lowering->graph, given == KPAR_I64 ? KPAR_I64 : KPAR_I32, inputs[0], &indices));
    return kpar_build_gather(lowering->graph, table, indices, output);
}

/* Multi-head attention: Vaswani et al., "Attention is all you need" (2017). */

typedef struct attention {
    int64_t heads, key_dim, value_dim, outputs;
    bool use_bias;
    kpar_shape query, value; /* (batch, steps, features) */
} attention;

/* x (batch, steps, features) times a kernel (features, heads, size), plus a bias (heads, size): (batch, heads, steps, size).
 * The kernel is one matrix, columns of a head side by side. */
static kpar_status project(kpar_lowering *lowering, const attention *a, const char *part, kpar_value_id x,
                           int64_t size, kpar_value_id *out)
{
    kpar_graph *g = lowering->graph;
    const kpar_shape shape = *kpar_lower_shape(lowering, x);
    const kpar_dim steps = shape.dims[1], heads = {a->heads, false}, each = {size, false};
    const kpar_shape flat = {.rank = 2, .dims = {{steps.size, true}, shape.dims[2]}},
                     matrix = {.rank = 2, .dims = {shape.dims[2], {a->heads * size, false}}},
                     row = {.rank = 1, .dims = {{a->heads * size, false}}},
                     headed = {.rank = 4, .dims = {{1, true}, steps, heads, each}};
    const kpar_weight kernel = {.name = "kernel",
                                .initializer = "kernel_initializer",
                                .by_default = "GlorotUniform",
                                .rank = 3,
                                .dims = {shape.dims[2].size, a->heads, size}},
                      bias = {.name = "bias",
                              .initializer = "bias_initializer",
                              .by_default = "Zeros",
                              .rank = 2,
                              .dims = {a->heads, size}};
    kpar_value_id weight;
    kpar_lower_part(lowering, part);
    KPAR_TRY(kpar_lower_weight(lowering, &kernel, &weight));
    KPAR_TRY(kpar_build_reshape(g, matrix, weight, &weight));
    KPAR_TRY(kpar_build_reshape(g, flat, x, out));
    KPAR_TRY(kpar_build_matmul(g, *out, false, weight, false, out));
    if (a->use_bias) {
        KPAR_TRY(kpar_lower_weight(lowering, &bias, &weight));
        KPAR_TRY(kpar_build_reshape(g, row, weight, &weight));
        KPAR_TRY(kpar_build_binary(g, KPAR_SCALAR_ADD, *out, weight, out));
    }
    KPAR_TRY(kpar_build_reshape(g, headed, *out, out));
    return kpar_build_transpose(g, (const int[]){0, 2, 1, 3}, *out, out);
}

/* (batch, heads, steps, size) times a kernel (heads, size, outputs), plus a bias: (batch, steps, outputs). */
static kpar_status combine(kpar_lowering *lowering, const attention *a, kpar_value_id x, kpar_value_id *out)
{
    kpar_graph *g = lowering->graph;
    const kpar_dim steps = a->query.dims[1];
    const int64_t inner = a->heads * a->value_dim;
    const kpar_shape flat = {.rank = 2, .dims = {{steps.size, true}, {inner, false}}},
                     matrix = {.rank = 2, .dims = {{inner, false}, {a->outputs, false}}},
                     result = {.rank = 3, .dims = {{1, true}, steps, {a->outputs, false}}};
    const kpar_weight kernel = {.name = "kernel",
                                .initializer = "kernel_initializer",
                                .by_default = "GlorotUniform",
                                .rank = 3,
                                .dims = {a->heads, a->value_dim, a->outputs}},
                      bias = {.name = "bias",
                              .initializer = "bias_initializer",
                              .by_default = "Zeros",
                              .rank = 1,
                              .dims = {a->outputs}};
    kpar_value_id weight;
    kpar_lower_part(lowering, "output_dense");
    KPAR_TRY(kpar_lower_weight(lowering, &kernel, &weight));
    KPAR_TRY(kpar_build_reshape(g, matrix, weight, &weight));
    KPAR_TRY(kpar_build_transpose(g, (const int[]){0, 2, 1, 3}, x, out));
    KPAR_TRY(kpar_build_reshape(g, flat, *out, out));
    KPAR_TRY(kpar_build_matmul(g, *out, false, weight, false, out));
    if (a->use_bias) {
        KPAR_TRY(kpar_lower_weight(lowering, &bias, &weight));
        KPAR_TRY(kpar_build_binary(g, KPAR_SCALAR_ADD, *out, weight, out));
    }
    return kpar_build_reshape(g, result, *out, out);
}

/* Scores of steps that come later than the query's are replaced by one that counts for nothing. */
static kpar_status hide_later(kpar_lowering *lowering, const attention *a, kpar_value_id *scores)
{
    const double nothing = -0.7 * 3.4028234663852886e38; /* Keras's */
    kpar_value_id inputs[3] = {*scores};
    const kpar_dim queries = a->query.dims[1], keys = a->value.dims[1];
    KPAR_TRY(kpar_build_iota(lowering->graph, 0, KPAR_I32,
                             (kpar_shape){.rank = 2, .dims = {queries, {1, false}}}, &inputs[1]));
    KPAR_TRY(
        kpar_build_iota(lowering->graph, 0, KPAR_I32, (kpar_shape){.rank = 1, .dims = {keys}}, &inputs[2]));
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x later = kpar_x_lt(e, kpar_x_input(e, 1), kpar_x_input(e, 2));
    kpar_x value = kpar_x_select(e, later, kpar_x_constant(e, nothing), kpar_x_input(e, 0));
    return kpar_lower_apply(lowering, e, value, inputs, 3, scores);
}

static kpar_status read_attention(kpar_lowering *lowering, const kpar_value_id *inputs, int n_inputs,
                                  attention *a)
{
    const json_t *config = lowering->layer->config, *shape = json_object_get(config, "output_shape");
    double dropout;
    a->query = *kpar_lower_shape(lowering, inputs[0]);
    a->value = *kpar_lower_shape(lowering, inputs[n_inputs > 1 ? 1 : 0]);
    KPAR_TRY(kpar_config_integer(lowering->owner, config, "num_heads", 0, &a->heads));
    KPAR_TRY(kpar_config_integer(lowering->owner, config, "key_dim", 0, &a->key_dim));
    KPAR_TRY(kpar_config_integer(lowering->owner, config, "value_dim", a->key_dim, &a->value_dim));
    KPAR_TRY(kpar_config_boolean(lowering->owner, config, "use_bias", true, &a->use_bias));
    KPAR_TRY(kpar_config_number(lowering->owner, config, "dropout", 0, &dropout));
    if (n_inputs < 1 || n_inputs > 3 || a->query.rank != 3 || a->value.rank != 3)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: expected query, value and perhaps key of rank 3",
                         lowering->owner);
    a->outputs = json_is_array(shape)     ? json_integer_value(json_array_get(shape, 0))
                 : json_is_integer(shape) ? json_integer_value(shape)
                                          : a->query.dims[2].size;
    if (a->heads < 1 || a->key_dim < 1 || a->value_dim < 1 || a->outputs < 1 || json_array_size(shape) > 1)
        return kpar_fail(KPAR_EFORMAT,
                         "%s: expected positive numbers for num_heads, key_dim, value_dim and output_shape",
                         lowering->owner);
    if (dropout == 0) return KPAR_OK;
    return kpar_fail(KPAR_EUNSUPPORTED, "%s: argument 'dropout' is %g; only 0 is supported", lowering->owner,
                     dropout);
}

KPAR_LAYER(multi_head_attention)
{
    kpar_graph *g = lowering->graph;
    attention a;
    kpar_value_id query, key, value, scores;
    KPAR_TRY(read_attention(lowering, inputs, n_inputs, &a));
    const kpar_value_id values = inputs[n_inputs > 1 ? 1 : 0], keys = n_inputs > 2 ? inputs[2] : values;
    KPAR_TRY(project(lowering, &a, "query_dense", inputs[0], a.key_dim, &query));
    KPAR_TRY(project(lowering, &a, "key_dense", keys, a.key_dim, &key));
    KPAR_TRY(project(lowering, &a, "value_dense", values, a.value_dim, &value));
    KPAR_TRY(kpar_build_affine(g, query, 1 / sqrt((double)a.key_dim), 0, &query));
    KPAR_TRY(kpar_build_matmul(g, query, false, key, true, &scores));
    if (json_is_true(json_object_get(lowering->model->calls[lowering->call].kwargs, "use_causal_mask")))
        KPAR_TRY(hide_later(lowering, &a, &scores));
    KPAR_TRY(kpar_build_softmax(g, scores, &scores));
    KPAR_TRY(kpar_build_matmul(g, scores, false, value, false, output));
    return combine(lowering, &a, *output, output);
}
