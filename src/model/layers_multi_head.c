/* Attention in several heads: Vaswani et al., "Attention is all you need" (2017); heads of queries that share keys and
 * values: Ainslie et al., "GQA" (2023). */
#include "model/heads.h"

#include <math.h>

/* --- between the two forms --- */

/* The permutation of (batch, free and steps as they stand, heads, size) to (batch, free ..., heads, steps ..., size). */
static void heads_before_steps(const kpar_heads *a, int rank, int *permutation)
{
    int n = 1;
    permutation[0] = 0;
    for (int i = 1; i < rank - 2; i++)
        if (!(a->axes >> i & 1)) permutation[n++] = i;
    permutation[n++] = rank - 2;
    for (int i = 1; i < rank - 2; i++)
        if (a->axes >> i & 1) permutation[n++] = i;
    permutation[n] = rank - 1;
}

/* (batch, free ..., heads, steps, size) for inputs of shape `x`. */
static kpar_shape headed(const kpar_heads *a, const kpar_shape *x, int64_t heads, int64_t size)
{
    kpar_shape shape = {.rank = 1, .dims = {x->dims[0]}};
    kpar_dim steps = {1, false};
    for (int i = 1; i < x->rank - 1; i++)
        if (a->axes >> i & 1)
            steps.size *= x->dims[i].size;
        else
            shape.dims[shape.rank++] = x->dims[i];
    shape.dims[shape.rank++] = (kpar_dim){heads, false};
    shape.dims[shape.rank++] = steps;
    shape.dims[shape.rank++] = (kpar_dim){size, false};
    return shape;
}

/* `x` with its last dimension replaced by `last`. */
static kpar_shape with_last(const kpar_shape *x, int n, const kpar_dim *last)
{
    kpar_shape shape = *x;
    shape.rank--;
    for (int i = 0; i < n; i++) shape.dims[shape.rank++] = last[i];
    return shape;
}

static kpar_status split_heads(kpar_lowering *lowering, const kpar_heads *a, const kpar_shape *x,
                               int64_t heads, int64_t size, kpar_value_id *value)
{
    const kpar_dim last[] = {{heads, false}, {size, false}};
    const kpar_shape apart = with_last(x, 2, last);
    int permutation[KPAR_MAX_RANK];
    heads_before_steps(a, apart.rank, permutation);
    KPAR_TRY(kpar_build_reshape(lowering->graph, apart, *value, value));
    KPAR_TRY(kpar_build_transpose(lowering->graph, permutation, *value, value));
    return kpar_build_reshape(lowering->graph, headed(a, x, heads, size), *value, value);
}

/* Back to (batch, ..., heads, size), dimensions as the query has them. */
static kpar_status join_heads(kpar_lowering *lowering, const kpar_heads *a, kpar_value_id *value)
{
    const kpar_dim last[] = {{a->heads, false}, {a->value_dim, false}};
    const kpar_shape apart = with_last(&a->query, 2, last);
    kpar_shape moved = {.rank = apart.rank};
    int permutation[KPAR_MAX_RANK], inverse[KPAR_MAX_RANK];
    heads_before_steps(a, apart.rank, permutation);
    for (int i = 0; i < apart.rank; i++) {
        moved.dims[i] = apart.dims[permutation[i]];
        inverse[permutation[i]] = i;
    }
    KPAR_TRY(kpar_build_reshape(lowering->graph, moved, *value, value));
    return kpar_build_transpose(lowering->graph, inverse, *value, value);
}

/* --- projections --- */

/* x times a kernel whose first `summed` dimensions are x's last ones, plus a bias of the others; as one product of
 * matrices, (k batch, others). */
static kpar_status project(kpar_lowering *lowering, const kpar_heads *a, const char *part, int rank,
                           const int64_t *dims, int summed, kpar_value_id x, kpar_value_id *out)
{
    kpar_graph *g = lowering->graph;
    kpar_weight kernel = {.name = "kernel",
                          .initializer = "kernel_initializer",
                          .by_default = "GlorotUniform",
                          .rank = rank},
                bias = {.name = "bias",
                        .initializer = "bias_initializer",
                        .by_default = "Zeros",
                        .rank = rank - summed};
    const kpar_shape *shape = kpar_lower_shape(lowering, x);
    int64_t in = 1, outs = 1;
    for (int i = 0; i < rank; i++) {
        kernel.dims[i] = dims[i];
        if (i >= summed) bias.dims[i - summed] = dims[i];
        *(i < summed ? &in : &outs) *= dims[i];
    }
    const kpar_shape flat = {.rank = 2, .dims = {{kpar_lower_elements(shape, 0) / in, true}, {in, false}}},
                     matrix = {.rank = 2, .dims = {{in, false}, {outs, false}}},
                     row = {.rank = 1, .dims = {{outs, false}}};
    kpar_value_id weight;
    kpar_lower_part(lowering, part);
    KPAR_TRY(kpar_lower_weight(lowering, &kernel, &weight));
    KPAR_TRY(kpar_build_reshape(g, matrix, weight, &weight));
    KPAR_TRY(kpar_build_reshape(g, flat, x, out));
    KPAR_TRY(kpar_build_matmul(g, *out, false, weight, false, out));
    if (!a->use_bias) return KPAR_OK;
    KPAR_TRY(kpar_lower_weight(lowering, &bias, &weight));
    KPAR_TRY(kpar_build_reshape(g, row, weight, &weight));
    return kpar_build_binary(g, KPAR_SCALAR_ADD, *out, weight, out);
}

/* The activity regularizer is one of each projection. */
static kpar_status penalize(kpar_lowering *lowering, kpar_value_id value)
{
    return kpar_lower_activity_penalty(
        lowering, json_object_get(lowering->layer->config, "activity_regularizer"), value);
}

/* x (batch, ..., features) in heads of `size`. */
static kpar_status to_heads(kpar_lowering *lowering, const kpar_heads *a, const char *part, kpar_value_id x,
                            int64_t heads, int64_t size, kpar_value_id *out)
{
    const kpar_shape shape = *kpar_lower_shape(lowering, x);
    const int64_t dims[] = {shape.dims[shape.rank - 1].size, heads, size};
    KPAR_TRY(project(lowering, a, part, 3, dims, 1, x, out));
    KPAR_TRY(split_heads(lowering, a, &shape, heads, size, out));
    return penalize(lowering, *out);
}

/* All heads of a step to its outputs. */
static kpar_status from_heads(kpar_lowering *lowering, const kpar_heads *a, const char *part, kpar_value_id x,
                              kpar_value_id *out)
{
    const kpar_shape result = with_last(&a->query, a->outputs.rank, a->outputs.dims);
    int64_t dims[KPAR_MAX_RANK] = {a->heads, a->value_dim};
    for (int i = 0; i < a->outputs.rank; i++) dims[2 + i] = a->outputs.dims[i].size;
    KPAR_TRY(join_heads(lowering, a, &x));
    KPAR_TRY(project(lowering, a, part, 2 + a->outputs.rank, dims, 2, x, out));
    KPAR_TRY(kpar_build_reshape(lowering->graph, result, *out, out));
    return penalize(lowering, *out);
}

/* --- attention --- */

/* (..., heads, steps, size) as (..., shared heads, steps of all heads that share, size), or back. */
static kpar_status regroup(kpar_lowering *lowering, int64_t heads, kpar_value_id *value)
{
    kpar_shape shape = *kpar_lower_shape(lowering, *value);
    kpar_dim *head = &shape.dims[shape.rank - 3], *steps = &shape.dims[shape.rank - 2];
    steps->size = steps->size * head->size / heads;
    head->size = heads;
    return kpar_build_reshape(lowering->graph, shape, *value, value);
}

/* Keras has two ways: scores that are hidden count for nothing, or, where the weights are looked at or dropped, the
 * weights are 0 besides, also those of a query that may see nothing. */
static kpar_status weigh(kpar_lowering *lowering, const kpar_heads *a, kpar_value_id allowed,
                         kpar_value_id *scores)
{
    const bool by_layer = a->dropout > 0 || a->returns_weights || a->query.rank != 3;
    const double nothing = by_layer ? -1e9 : -0.7 * 3.38953e38;
    KPAR_TRY(kpar_attention_where(lowering, allowed, *scores, nothing, scores));
    KPAR_TRY(kpar_build_softmax(lowering->graph, *scores, scores));
    return by_layer ? kpar_attention_where(lowering, allowed, *scores, 0, scores) : KPAR_OK;
}

static kpar_status attend(kpar_lowering *lowering, const kpar_heads *a, kpar_value_id query,
                          kpar_value_id key, kpar_value_id value, kpar_value_id allowed, kpar_value_id *out,
                          kpar_value_id *weights)
{
    kpar_graph *g = lowering->graph;
    KPAR_TRY(kpar_build_affine(g, query, 1 / sqrt((double)a->key_dim), 0, &query));
    KPAR_TRY(regroup(lowering, a->shared_heads, &query));
    KPAR_TRY(kpar_build_matmul(g, query, false, key, true, weights));
    KPAR_TRY(regroup(lowering, a->heads, weights));
    KPAR_TRY(weigh(lowering, a, allowed, weights));
    KPAR_TRY(kpar_lower_dropout(lowering, a->dropout, *weights, out));
    KPAR_TRY(regroup(lowering, a->shared_heads, out));
    KPAR_TRY(kpar_build_matmul(g, *out, false, value, false, out));
    return regroup(lowering, a->heads, out);
}

/* (batch, free ..., heads, steps ..., steps ...) */
static kpar_status unfold_weights(kpar_lowering *lowering, const kpar_heads *a, kpar_value_id *weights)
{
    kpar_shape shape = *kpar_lower_shape(lowering, *weights);
    shape.rank -= 2;
    if (shape.rank + 2 * a->n_axes > KPAR_MAX_RANK)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: attention scores of more than %d dimensions",
                         lowering->owner, KPAR_MAX_RANK);
    for (int i = 1; i < a->query.rank - 1; i++)
        if (a->axes >> i & 1) shape.dims[shape.rank++] = a->query.dims[i];
    for (int i = 1; i < a->value.rank - 1; i++)
        if (a->axes >> i & 1) shape.dims[shape.rank++] = a->value.dims[i];
    return kpar_build_reshape(lowering->graph, shape, *weights, weights);
}

/* The names of parts differ between the layers. Weights come in Keras's order. */
typedef struct part_names {
    const char *query, *key, *gate, *value, *output;
} part_names;

static kpar_status lower_heads(kpar_lowering *lowering, const kpar_heads *a, const part_names *parts,
                               const kpar_value_id *inputs, int n_inputs, kpar_value_id *output)
{
    kpar_value_id query, key, value, gate = -1, allowed, weights;
    const kpar_value_id values = inputs[n_inputs > 1 ? 1 : 0], keys = n_inputs > 2 ? inputs[2] : values;
    KPAR_TRY(to_heads(lowering, a, parts->query, inputs[0], a->heads, a->key_dim, &query));
    KPAR_TRY(to_heads(lowering, a, parts->key, keys, a->shared_heads, a->key_dim, &key));
    if (a->use_gate) {
        KPAR_TRY(to_heads(lowering, a, parts->gate, inputs[0], a->heads, a->value_dim, &gate));
        KPAR_TRY(kpar_build_unary(lowering->graph, KPAR_SCALAR_SIGMOID, gate, &gate));
    }
    KPAR_TRY(to_heads(lowering, a, parts->value, values, a->shared_heads, a->value_dim, &value));
    KPAR_TRY(kpar_heads_allowed(lowering, a, n_inputs, &allowed));
    KPAR_TRY(attend(lowering, a, query, key, value, allowed, output, &weights));
    if (a->use_gate)
        KPAR_TRY(kpar_build_binary(lowering->graph, KPAR_SCALAR_MULTIPLY, *output, gate, output));
    KPAR_TRY(from_heads(lowering, a, parts->output, *output, output));
    if (!a->returns_weights) return KPAR_OK;
    output[1] = weights;
    return unfold_weights(lowering, a, &output[1]);
}

/* --- arguments --- */

static bool fit_together(const kpar_heads *a, const kpar_shape *key)
{
    if (a->query.rank < 3 || a->query.rank >= KPAR_MAX_RANK || a->value.rank != a->query.rank ||
        key->rank != a->query.rank)
        return false;
    for (int i = 1; i < key->rank - 1; i++) {
        const int64_t size = a->value.dims[i].size;
        if (key->dims[i].size != size || (!(a->axes >> i & 1) && a->query.dims[i].size != size)) return false;
    }
    return true;
}

/* What both layers have. */
static kpar_status read_common(kpar_lowering *lowering, const kpar_value_id *inputs, int n_inputs,
                               kpar_heads *a)
{
    const json_t *config = lowering->layer->config;
    if (n_inputs < 1 || n_inputs > 3)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: expected query, value and perhaps key", lowering->owner);
    const kpar_value_id key = inputs[n_inputs - 1];
    a->query = *kpar_lower_shape(lowering, inputs[0]);
    a->value = *kpar_lower_shape(lowering, inputs[n_inputs > 1 ? 1 : 0]);
    KPAR_TRY(kpar_config_boolean(lowering->owner, config, "use_bias", true, &a->use_bias));
    KPAR_TRY(kpar_config_boolean(lowering->owner, config, "use_gate", false, &a->use_gate));
    KPAR_TRY(kpar_config_integer(lowering->owner, config, "sliding_window", 0, &a->window));
    KPAR_TRY(kpar_attention_dropout(lowering, &a->dropout));
    a->returns_weights = kpar_call_says(lowering, "return_attention_scores");
    for (int i = 1; i < a->query.rank - 1; i++)
        if (a->axes >> i & 1) a->n_axes++;
    const bool moved = a->n_axes != 1 || !(a->axes & 2);
    if (!fit_together(a, kpar_lower_shape(lowering, key)))
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: expected query, value and key of one rank, 3 to %d, and of the same sizes in "
                         "dimensions that are not attended over",
                         lowering->owner, KPAR_MAX_RANK - 1);
    if (a->heads < 1 || a->shared_heads < 1 || a->key_dim < 1 || a->value_dim < 1 || a->window < 0)
        return kpar_fail(KPAR_EFORMAT, "%s: expected positive numbers of heads and sizes", lowering->owner);
    if (moved && (a->window > 0 || kpar_call_says(lowering, "use_causal_mask")))
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: use_causal_mask and sliding_window are over dimension 1; expected "
                         "attention_axes [1]",
                         lowering->owner);
    return KPAR_OK;
}

/* `attention_axes`; null: every dimension between the batch and the features. */
static kpar_status read_axes(const kpar_lowering *lowering, int rank, unsigned *axes)
{
    const json_t *json = json_object_get(lowering->layer->config, "attention_axes");
    *axes = 0;
    for (size_t i = 0; i < json_array_size(json); i++) {
        int dim;
        KPAR_TRY(kpar_lower_dim(lowering, json_integer_value(json_array_get(json, i)), rank, &dim));
        *axes |= 1u << dim;
    }
    for (int i = 1; i < rank - 1 && json_array_size(json) == 0; i++) *axes |= 1u << i;
    if (*axes && !(*axes >> (rank - 1) & 1)) return KPAR_OK;
    return kpar_fail(KPAR_EFORMAT, "%s: argument 'attention_axes': expected dimensions before the features",
                     lowering->owner);
}

/* `output_shape`, a number or several; null: the query's features. */
static kpar_status read_outputs(const kpar_lowering *lowering, const kpar_shape *query, kpar_shape *outputs)
{
    const json_t *json = json_object_get(lowering->layer->config, "output_shape");
    const int n = json_is_array(json) && json_array_size(json) > 0 ? (int)json_array_size(json) : 1;
    if (query->rank - 1 + n > KPAR_MAX_RANK || 2 + n > KPAR_MAX_RANK)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: argument 'output_shape': more than %d dimensions",
                         lowering->owner, KPAR_MAX_RANK);
    outputs->rank = n;
    for (int i = 0; i < n; i++) {
        const json_t *size = json_is_array(json) ? json_array_get(json, (size_t)i) : json;
        outputs->dims[i] = json_is_integer(size) ? (kpar_dim){json_integer_value(size), false}
                                                 : query->dims[query->rank - 1];
        if (outputs->dims[i].size < 1)
            return kpar_fail(KPAR_EFORMAT, "%s: argument 'output_shape': expected positive numbers",
                             lowering->owner);
    }
    return KPAR_OK;
}

KPAR_LAYER(multi_head_attention)
{
    static const part_names parts = {"query_dense", "key_dense", "_gate_dense", "value_dense",
                                     "output_dense"};
    const json_t *config = lowering->layer->config;
    const kpar_shape *query = kpar_lower_shape(lowering, inputs[0]);
    kpar_heads a = {0};
    KPAR_TRY(kpar_config_integer(lowering->owner, config, "num_heads", 0, &a.heads));
    KPAR_TRY(kpar_config_integer(lowering->owner, config, "key_dim", 0, &a.key_dim));
    KPAR_TRY(kpar_config_integer(lowering->owner, config, "value_dim", a.key_dim, &a.value_dim));
    a.shared_heads = a.heads;
    KPAR_TRY(read_axes(lowering, query->rank, &a.axes));
    KPAR_TRY(read_outputs(lowering, query, &a.outputs));
    KPAR_TRY(read_common(lowering, inputs, n_inputs, &a));
    return lower_heads(lowering, &a, &parts, inputs, n_inputs, output);
}

KPAR_LAYER(group_query_attention)
{
    static const part_names parts = {"_query_dense", "_key_dense", "_gate_dense", "_value_dense",
                                     "_output_dense"};
    const json_t *config = lowering->layer->config;
    const kpar_shape *query = kpar_lower_shape(lowering, inputs[0]);
    kpar_heads a = {
        .axes = 2, .takes_query_mask = true, .outputs = {.rank = 1, .dims = {query->dims[query->rank - 1]}}};
    KPAR_TRY(kpar_config_integer(lowering->owner, config, "num_query_heads", 0, &a.heads));
    KPAR_TRY(kpar_config_integer(lowering->owner, config, "num_key_value_heads", 0, &a.shared_heads));
    KPAR_TRY(kpar_config_integer(lowering->owner, config, "head_dim", 0, &a.key_dim));
    a.value_dim = a.key_dim;
    KPAR_TRY(read_common(lowering, inputs, n_inputs, &a));
    if (query->rank == 3 && a.heads % a.shared_heads == 0)
        return lower_heads(lowering, &a, &parts, inputs, n_inputs, output);
    return kpar_fail(KPAR_EFORMAT,
                     "%s: expected tensors of rank 3 and num_query_heads a multiple of num_key_value_heads, "
                     "found rank %d, %lld and %lld heads",
                     lowering->owner, query->rank, (long long)a.heads, (long long)a.shared_heads);
}
