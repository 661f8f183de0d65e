/* Embedding and attention. */
#include "model/attention.h"
#include "model/einsum.h"

#include <string.h>

/* The layer's first weight, a row for each number. */
static kpar_status embeddings(kpar_lowering *lowering, int64_t *rows, int64_t *columns, kpar_value_id *table)
{
    const json_t *config = lowering->layer->config;
    KPAR_TRY(kpar_config_integer(lowering->owner, config, "input_dim", 0, rows));
    KPAR_TRY(kpar_config_integer(lowering->owner, config, "output_dim", 0, columns));
    if (*rows <= 0 || *columns <= 0)
        return kpar_fail(KPAR_EFORMAT,
                         "%s: arguments 'input_dim' and 'output_dim': expected positive numbers",
                         lowering->owner);
    const kpar_weight weight = {.name = "embeddings",
                                .initializer = "embeddings_initializer",
                                .by_default = "RandomUniform",
                                .rank = 2,
                                .dims = {*rows, *columns}};
    return kpar_lower_weight(lowering, &weight, table);
}

KPAR_LAYER(embedding)
{
    int64_t rows, columns;
    kpar_value_id table, indices;
    (void)n_inputs;
    KPAR_TRY(embeddings(lowering, &rows, &columns, &table));
    const kpar_dtype given = kpar_graph_value(lowering->graph, inputs[0])->dtype;
    KPAR_TRY(kpar_build_cast(lowering->graph, given == KPAR_I64 ? KPAR_I64 : KPAR_I32, inputs[0], &indices));
    return kpar_build_gather(lowering->graph, table, indices, output);
}

static bool is_reversed(const kpar_lowering *lowering)
{
    return json_is_true(json_object_get(lowering->model->calls[lowering->call].kwargs, "reverse"));
}

/* Between -cap and cap, where argument 'logit_soft_cap' is given. */
static kpar_status cap_softly(kpar_lowering *lowering, kpar_value_id *logits)
{
    double cap;
    KPAR_TRY(kpar_config_number(lowering->owner, lowering->layer->config, "logit_soft_cap", 0, &cap));
    if (cap == 0) return KPAR_OK;
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x limit = kpar_x_constant(e, cap);
    kpar_x y = kpar_x_mul(e, kpar_x_tanh(e, kpar_x_div(e, kpar_x_input(e, 0), limit)), limit);
    return kpar_lower_apply(lowering, e, y, logits, 1, logits);
}

/* Reversed: products with the rows of the table, or with columns of a weight of its own. */
KPAR_LAYER(reversible_embedding)
{
    int64_t rows, columns;
    bool tied;
    kpar_value_id table, x;
    KPAR_TRY(kpar_config_boolean(lowering->owner, lowering->layer->config, "tie_weights", true, &tied));
    KPAR_TRY(embeddings(lowering, &rows, &columns, &table));
    if (!tied) {
        const kpar_weight reverse = {.name = "reverse_embeddings",
                                     .initializer = "embeddings_initializer",
                                     .by_default = "RandomUniform",
                                     .rank = 2,
                                     .dims = {columns, rows}};
        KPAR_TRY(kpar_lower_weight(lowering, &reverse, &table));
    }
    if (!is_reversed(lowering)) {
        kpar_lower_part(lowering, NULL);
        return kpar_layer_embedding(lowering, inputs, n_inputs, output);
    }
    KPAR_TRY(kpar_lower_real(lowering, inputs[0], &x));
    const int rank = kpar_lower_shape(lowering, x)->rank;
    char letters[KPAR_EINSUM_LETTERS] = "", result[KPAR_EINSUM_LETTERS] = "";
    for (int i = 0; i < rank; i++) letters[i] = result[i] = (char)('a' + i);
    const char summed = letters[rank - 1], other[] = {tied ? 'V' : summed, tied ? summed : 'V', '\0'};
    result[rank - 1] = 'V';
    KPAR_TRY(kpar_lower_product(lowering, letters, x, other, table, result, output));
    return cap_softly(lowering, output);
}

KPAR_MASK(reversible_embedding)
{
    return is_reversed(lowering) ? KPAR_OK : kpar_mask_embedding(lowering, inputs, n_inputs, masks);
}

/* Attention of one head, without projections. */

typedef kpar_status (*score_formula)(kpar_lowering *lowering, kpar_value_id query, kpar_value_id key,
                                     kpar_value_id *scores);

/* The layer's next weight, of shape () or (size). */
static kpar_status next_weight(kpar_lowering *lowering, const char *name, const char *initializer,
                               int64_t size, kpar_value_id *value)
{
    const kpar_weight weight = {.name = name, .by_default = initializer, .rank = size > 0, .dims = {size}};
    return kpar_lower_weight(lowering, &weight, value);
}

/* Luong et al., "Effective approaches to attention-based neural machine translation" (2015). */
static kpar_status products(kpar_lowering *lowering, kpar_value_id query, kpar_value_id key,
                            kpar_value_id *scores)
{
    bool use_scale;
    kpar_value_id scale;
    KPAR_TRY(kpar_config_boolean(lowering->owner, lowering->layer->config, "use_scale", false, &use_scale));
    KPAR_TRY(kpar_build_matmul(lowering->graph, query, false, key, true, scores));
    if (!use_scale) return KPAR_OK;
    KPAR_TRY(next_weight(lowering, "scale", "Ones", 0, &scale));
    return kpar_build_binary(lowering->graph, KPAR_SCALAR_MULTIPLY, *scores, scale, scores);
}

/* Query (..., queries, 1, size) and key (..., 1, keys, size). */
static kpar_status pair(kpar_lowering *lowering, kpar_value_id *query, kpar_value_id *key)
{
    kpar_value_id *const sides[] = {query, key};
    for (int i = 0; i < 2; i++) {
        kpar_shape shape = *kpar_lower_shape(lowering, *sides[i]);
        if (shape.rank == KPAR_MAX_RANK)
            return kpar_fail(KPAR_EUNSUPPORTED, "%s: more than %d dimensions", lowering->owner,
                             KPAR_MAX_RANK - 1);
        const int one = shape.rank - 1 - i;
        for (int d = shape.rank++; d > one; d--) shape.dims[d] = shape.dims[d - 1];
        shape.dims[one] = (kpar_dim){1, false};
        KPAR_TRY(kpar_build_reshape(lowering->graph, shape, *sides[i], sides[i]));
    }
    return KPAR_OK;
}

/* score_mode "concat": weight sum(tanh(scale (q + k))). */
static kpar_status weighted_sums(kpar_lowering *lowering, kpar_value_id query, kpar_value_id key,
                                 kpar_value_id *scores)
{
    bool use_scale;
    kpar_value_id inputs[3] = {-1}, weight;
    KPAR_TRY(kpar_config_boolean(lowering->owner, lowering->layer->config, "use_scale", false, &use_scale));
    KPAR_TRY(pair(lowering, &query, &key));
    if (use_scale) KPAR_TRY(next_weight(lowering, "scale", "Ones", 0, &inputs[2]));
    KPAR_TRY(next_weight(lowering, "concat_score_weight", "Ones", 0, &weight));
    inputs[0] = query;
    inputs[1] = key;
    kpar_expression_builder *e = kpar_expression_begin(2 + use_scale);
    kpar_x sum = kpar_x_add(e, kpar_x_input(e, 0), kpar_x_input(e, 1));
    if (use_scale) sum = kpar_x_mul(e, kpar_x_input(e, 2), sum);
    KPAR_TRY(kpar_lower_apply(lowering, e, kpar_x_tanh(e, sum), inputs, 2 + use_scale, scores));
    KPAR_TRY(kpar_lower_sum_last(lowering, false, *scores, scores));
    return kpar_build_binary(lowering->graph, KPAR_SCALAR_MULTIPLY, *scores, weight, scores);
}

/* sum(scale tanh(q + k)): Bahdanau et al., "Neural machine translation by jointly learning to align and translate" (2015). */
static kpar_status scaled_sums(kpar_lowering *lowering, kpar_value_id query, kpar_value_id key,
                               kpar_value_id *scores)
{
    bool use_scale;
    kpar_value_id scale;
    const kpar_shape shape = *kpar_lower_shape(lowering, query);
    KPAR_TRY(kpar_config_boolean(lowering->owner, lowering->layer->config, "use_scale", true, &use_scale));
    KPAR_TRY(pair(lowering, &query, &key));
    KPAR_TRY(kpar_build_binary(lowering->graph, KPAR_SCALAR_ADD, query, key, scores));
    KPAR_TRY(kpar_build_unary(lowering->graph, KPAR_SCALAR_TANH, *scores, scores));
    if (use_scale) {
        KPAR_TRY(next_weight(lowering, "scale", "GlorotUniform", shape.dims[shape.rank - 1].size, &scale));
        KPAR_TRY(kpar_build_binary(lowering->graph, KPAR_SCALAR_MULTIPLY, *scores, scale, scores));
    }
    return kpar_lower_sum_last(lowering, false, *scores, scores);
}

/* A mask (batch, steps) as (batch, 1, steps) or (batch, steps, 1), for scores (batch, queries, keys). */
static kpar_status mask_of(kpar_lowering *lowering, int input, bool of_queries, int rank, kpar_value_id *mask)
{
    *mask = lowering->masks[input];
    if (*mask < 0) return KPAR_OK;
    const kpar_shape *shape = kpar_lower_shape(lowering, *mask);
    if (rank != 3 || shape->rank != 2)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: expected masks (batch, steps) of tensors of rank 3",
                         lowering->owner);
    kpar_shape spread = {.rank = 3, .dims = {shape->dims[0], {1, false}, {1, false}}};
    spread.dims[of_queries ? 1 : 2] = shape->dims[1];
    return kpar_build_reshape(lowering->graph, spread, *mask, mask);
}

/* Hidden scores become smaller by a milliard. */
static kpar_status hide(kpar_lowering *lowering, kpar_value_id allowed, kpar_value_id *scores)
{
    if (allowed < 0) return KPAR_OK;
    kpar_expression_builder *e = kpar_expression_begin(2);
    const kpar_x score = kpar_x_input(e, 1), hidden = kpar_x_sub(e, score, kpar_x_constant(e, 1e9));
    return kpar_lower_apply(lowering, e, kpar_x_select(e, kpar_x_input(e, 0), score, hidden),
                            (kpar_value_id[]){allowed, *scores}, 2, scores);
}

static kpar_status attend(kpar_lowering *lowering, score_formula formula, const kpar_value_id *inputs,
                          int n_inputs, kpar_value_id *output)
{
    kpar_value_id tensors[3], scores, allowed, counts;
    double dropout;
    if (n_inputs < 2 || n_inputs > 3)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: expected query, value and perhaps key", lowering->owner);
    for (int i = 0; i < n_inputs; i++) {
        KPAR_TRY(kpar_lower_real(lowering, inputs[i], &tensors[i]));
        if (kpar_lower_shape(lowering, tensors[i])->rank < 3)
            return kpar_fail(KPAR_EUNSUPPORTED, "%s: expected tensors of rank 3 or more", lowering->owner);
    }
    KPAR_TRY(kpar_attention_dropout(lowering, &dropout));
    KPAR_TRY(formula(lowering, tensors[0], tensors[n_inputs - 1], &scores));
    const kpar_shape shape = *kpar_lower_shape(lowering, scores);
    KPAR_TRY(mask_of(lowering, 0, true, shape.rank, &counts));
    KPAR_TRY(mask_of(lowering, 1, false, shape.rank, &allowed));
    KPAR_TRY(kpar_attention_near(lowering, shape.dims[shape.rank - 2], shape.dims[shape.rank - 1],
                                 kpar_call_says(lowering, "use_causal_mask"), 0, &allowed));
    KPAR_TRY(hide(lowering, allowed, &scores));
    KPAR_TRY(kpar_build_softmax(lowering->graph, scores, &scores));
    KPAR_TRY(kpar_lower_dropout(lowering, dropout, scores, &scores));
    if (kpar_call_says(lowering, "return_attention_scores")) output[1] = scores;
    KPAR_TRY(kpar_build_matmul(lowering->graph, scores, false, tensors[1], false, output));
    return kpar_attention_where(lowering, counts, *output, 0, output);
}

KPAR_LAYER(attention)
{
    const char *mode;
    KPAR_TRY(kpar_config_string(lowering->owner, lowering->layer->config, "score_mode", "dot", &mode));
    if (strcmp(mode, "dot") == 0) return attend(lowering, products, inputs, n_inputs, output);
    if (strcmp(mode, "concat") == 0) return attend(lowering, weighted_sums, inputs, n_inputs, output);
    return kpar_fail(KPAR_EFORMAT, "%s: argument 'score_mode' is \"%s\", expected \"dot\" or \"concat\"",
                     lowering->owner, mode);
}

KPAR_LAYER(additive_attention) { return attend(lowering, scaled_sums, inputs, n_inputs, output); }
