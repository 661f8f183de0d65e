/* The total loss of a microbatch, as its share of the global batch's loss: values of rows times their weights over a
 * denominator that is a fact (it depends on data alone and is summed over the global batch before the rest of the step).
 * So gradients come out as terms of the global gradient on whatever part of the batch a rank has. */
#include "model/lower_optimizer.h"

#include <string.h>

typedef enum reduction { REDUCE_NONE, REDUCE_SUM, REDUCE_MEAN, REDUCE_WEIGHTED_MEAN } reduction;

static kpar_status parse_reduction(const char *owner, const json_t *config, reduction *result)
{
    static const struct {
        const char *name;
        reduction value;
    } names[] = {
        {"none", REDUCE_NONE},
        {"sum", REDUCE_SUM},
        {"sum_over_batch_size", REDUCE_MEAN},
        {"mean", REDUCE_MEAN},
        {"mean_with_sample_weight", REDUCE_WEIGHTED_MEAN},
    };
    const char *name,
        *fallback = json_is_null(json_object_get(config, "reduction")) ? "none" : "sum_over_batch_size";
    KPAR_TRY(kpar_config_string(owner, config, "reduction", fallback, &name));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i].name, name) == 0) {
            *result = names[i].value;
            return KPAR_OK;
        }
    return kpar_fail(KPAR_EUNSUPPORTED,
                     "%s: argument 'reduction' is \"%s\"; supported are: none, sum, sum_over_batch_size, "
                     "mean, mean_with_sample_weight",
                     owner, name);
}

kpar_status kpar_lower_loss_row(kpar_lowering *lowering, int output, const kpar_loss_row **row,
                                const json_t **config, const char **owner)
{
    const kpar_model *model = lowering->model;
    const json_t *loss = model->losses ? model->losses[output] : NULL;
    const char *name;
    *row = NULL;
    if (!loss || json_is_null(loss)) return KPAR_OK;
    *owner = kpar_arena_printf(lowering->arena, "%s: loss of output '%s'", model->file,
                               model->outputs[output].name);
    KPAR_TRY(kpar_loss_object(*owner, loss, &name, config));
    *row = kpar_loss_row_find(name);
    if (!*row) {
        int n;
        const kpar_loss_row *rows = kpar_loss_rows(&n);
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: '%s' is not supported; supported are: %s", *owner, name,
                         kpar_table_names(lowering->arena, rows, n, sizeof *rows));
    }
    *owner = kpar_arena_printf(lowering->arena, "%s (%s)", *owner, (*row)->class_name);
    return kpar_lower_known(lowering, *owner, *config, "name reduction dtype fn", (*row)->arguments, "");
}

/* 1 / a, or 0 where a is 0: a batch whose weights are all zero has no loss. */
static kpar_status reciprocal(kpar_lowering *lowering, kpar_value_id a, kpar_value_id *out)
{
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x x = kpar_x_input(e, 0), zero = kpar_x_constant(e, 0);
    kpar_x inverse = kpar_x_div(e, kpar_x_constant(e, 1), x);
    return kpar_lower_apply(lowering, e, kpar_x_select(e, kpar_x_eq(e, x, zero), zero, inverse), &a, 1, out);
}

/* What values of which `elements` have one of `weights` (phase facts_rows) in common are multiplied by: 1 over their
 * number in the global batch, a scalar in phase facts. */
static kpar_status scale_fact(kpar_lowering *lowering, kpar_value_id weights, int64_t elements,
                              kpar_value_id *scale)
{
    kpar_graph *g = lowering->graph;
    const unsigned all = (1u << kpar_lower_shape(lowering, weights)->rank) - 1;
    kpar_value_id sum;
    KPAR_TRY(kpar_build_reduce(g, KPAR_REDUCE_SUM, all, weights, &sum));
    KPAR_TRY(kpar_build_accumulate(g, sum, &sum));
    g->phase = KPAR_PHASE_FACTS;
    KPAR_TRY(kpar_build_affine(g, sum, (double)elements, 0, &sum));
    return reciprocal(lowering, sum, scale);
}

kpar_status kpar_lower_rows_scale(kpar_lowering *lowering, kpar_value_id *scale)
{
    lowering->graph->phase = KPAR_PHASE_FACTS_ROWS;
    KPAR_TRY(scale_fact(lowering, kpar_lower_row_mask(lowering), 1, scale));
    lowering->graph->phase = KPAR_PHASE_MICROBATCH;
    return KPAR_OK;
}

/* Of a mask that is no fact the batch in one piece counts what it leaves: `scale`, which is of all `weights`, times their
 * sum over that of those left. */
static kpar_status scale_of_left(kpar_lowering *lowering, kpar_value_id weights, kpar_value_id mask,
                                 kpar_value_id *scale)
{
    const unsigned all = (1u << kpar_lower_shape(lowering, mask)->rank) - 1;
    kpar_value_id left, terms[3] = {*scale};
    KPAR_TRY(kpar_lower_weighted(lowering, mask, weights, -1, &left));
    KPAR_TRY(kpar_build_reduce(lowering->graph, KPAR_REDUCE_SUM, all, weights, &terms[1]));
    KPAR_TRY(kpar_build_reduce(lowering->graph, KPAR_REDUCE_SUM, all, left, &terms[2]));
    kpar_expression_builder *e = kpar_expression_begin(3);
    const kpar_x zero = kpar_x_constant(e, 0), count = kpar_x_input(e, 2);
    const kpar_x share = kpar_x_div(e, kpar_x_mul(e, kpar_x_input(e, 0), kpar_x_input(e, 1)), count);
    return kpar_lower_apply(lowering, e, kpar_x_select(e, kpar_x_eq(e, count, zero), zero, share), terms, 3,
                            scale);
}

/* What the values of an output are multiplied by, besides their weights; -1 for a sum. A mean is over the values that the
 * mask leaves; what is not reduced counts as the mean of all, which is what is reported. */
static kpar_status output_scale(kpar_lowering *lowering, int output, reduction kind, kpar_value_id mask,
                                int64_t elements, kpar_value_id *scale)
{
    kpar_graph *g = lowering->graph;
    *scale = -1;
    if (kind == REDUCE_SUM) return KPAR_OK;
    const bool moves = lowering->values_mask_moves && kind != REDUCE_NONE;
    const kpar_value_id given = kind == REDUCE_WEIGHTED_MEAN ? kpar_lower_sample_weights(lowering, output)
                                                             : kpar_lower_row_mask(lowering);
    kpar_value_id weights = given;
    g->phase = KPAR_PHASE_FACTS_ROWS;
    if (kind != REDUCE_NONE && !moves) KPAR_TRY(kpar_lower_masked(lowering, output, mask, true, &weights));
    elements /= kpar_lower_elements(kpar_lower_shape(lowering, weights), 1);
    KPAR_TRY(scale_fact(lowering, weights, elements, scale));
    g->phase = KPAR_PHASE_MICROBATCH;
    return moves ? scale_of_left(lowering, given, mask, scale) : KPAR_OK;
}

/* Each value of the loss has its own element of the mask. */
static kpar_status check_mask(const kpar_lowering *lowering, const char *owner, kpar_value_id mask,
                              const kpar_shape *values)
{
    char want[KPAR_SHAPE_TEXT], found[KPAR_SHAPE_TEXT];
    if (mask < 0 || kpar_shape_equal(kpar_lower_shape(lowering, mask), values)) return KPAR_OK;
    return kpar_fail(KPAR_EUNSUPPORTED, "%s: predictions have a mask of shape %s, expected %s", owner,
                     kpar_shape_format(found, kpar_lower_shape(lowering, mask)),
                     kpar_shape_format(want, values));
}

/* Which values of the loss count: by the predictions' mask and by what the loss says; -1: all. */
static kpar_status loss_mask(kpar_lowering *lowering, const char *owner, int output, const kpar_shape *values,
                             kpar_value_id *mask)
{
    const kpar_value_id own = lowering->values_mask;
    *mask = kpar_lower_output_mask(lowering, lowering->model->outputs[output].tensor);
    KPAR_TRY(check_mask(lowering, owner, *mask, values));
    if (*mask >= 0 && own >= 0)
        return kpar_build_binary(lowering->graph, KPAR_SCALAR_MULTIPLY, *mask, own, mask);
    if (own >= 0) *mask = own;
    return KPAR_OK;
}

/* Sample weights are of the values of the loss. A mask makes them so in Keras, too; without one it divides by the sum of
 * those that are given. */
static void note_weights(kpar_lowering *lowering, const char *owner, int output, reduction kind,
                         const kpar_shape *values, kpar_value_id mask)
{
    kpar_weight_range *range = &lowering->weight_ranges[output];
    range->shape = *values;
    if (kind == REDUCE_WEIGHTED_MEAN && mask < 0) range->divides_by_weights = owner;
}

/* Losses that are not reduced have a total for each of their values. */
static kpar_status note_whole(const char *owner, const kpar_shape *values, kpar_shape *whole)
{
    char one[KPAR_SHAPE_TEXT], other[KPAR_SHAPE_TEXT];
    if (whole->rank == 0) *whole = *values;
    if (kpar_shape_equal(whole, values)) return KPAR_OK;
    return kpar_fail(
        KPAR_EUNSUPPORTED,
        "%s: argument 'reduction' is \"none\", and its values have shape %s, those of another such "
        "loss %s",
        owner, kpar_shape_format(one, values), kpar_shape_format(other, whole));
}

/* Predictions of shape (batch): a loss that is a mean over the last dimension, which is the batch then, is that of (batch, 1),
 * and Keras reduces it no further, unless weights make several values of it. */
static kpar_status row_of_one(kpar_lowering *lowering, const kpar_loss_row *row, const char *owner,
                              reduction kind, kpar_value_id *prediction)
{
    const bool means = row->formula || row->means;
    if (!means || kind == REDUCE_SUM || kind == REDUCE_NONE)
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: predictions have shape (batch), expected (batch, ..., values)%s", owner,
                         means ? "; (batch) is supported with the reduction sum_over_batch_size" : "");
    lowering->weight_ranges[lowering->output].unweighted = owner;
    return kpar_lower_insert(lowering, 1, *prediction, prediction);
}

/* One output's part of the loss. */
typedef struct part {
    int output;
    kpar_value_id loss; /* this microbatch's share; -1: the output has none */
    double factor;
    int weight; /* KPAR_WEIGH_... */
} part;

/* Over an epoch outputs' own losses weigh all batches alike, as in Keras: its graphs do not know the size of a batch,
 * but for losses that are not reduced. *whole becomes the shape of their values. */
static kpar_status output_loss(kpar_lowering *lowering, part *p, kpar_shape *whole)
{
    const int output = p->output;
    const kpar_loss_row *row;
    const json_t *config = NULL;
    const char *owner;
    reduction kind = REDUCE_MEAN;
    kpar_value_id values, mask, scale;
    p->loss = -1;
    KPAR_TRY(kpar_lower_loss_row(lowering, output, &row, &config, &owner));
    if (!row) return KPAR_OK;
    KPAR_TRY(parse_reduction(owner, config, &kind));

    kpar_value_id prediction;
    KPAR_TRY(kpar_lower_prediction(lowering, output, &prediction));
    const kpar_shape *shape = kpar_lower_shape(lowering, prediction);
    if (shape->rank < 2) KPAR_TRY(row_of_one(lowering, row, owner, kind, &prediction));
    shape = kpar_lower_shape(lowering, prediction);
    kpar_value_id labels = kpar_lower_labels(lowering, output, shape, row->sparse);
    KPAR_TRY(kpar_loss_values(lowering, row, config, owner, prediction, labels, &values));
    const kpar_shape each = *kpar_lower_shape(lowering, values);
    if (lowering->weight_ranges[output].unweighted) kind = REDUCE_MEAN;
    if (kind == REDUCE_NONE) KPAR_TRY(note_whole(owner, &each, whole));
    p->weight = kind == REDUCE_NONE ? KPAR_WEIGH_ROWS : KPAR_WEIGH_BATCHES;
    KPAR_TRY(loss_mask(lowering, owner, output, &each, &mask));
    note_weights(lowering, owner, output, kind, &each, mask);
    KPAR_TRY(output_scale(lowering, output, kind, mask, kpar_lower_elements(&each, 1), &scale));
    kpar_value_id weights = kpar_lower_sample_weights(lowering, output);
    KPAR_TRY(kpar_lower_masked(lowering, output, mask, false, &weights));
    return kpar_lower_weighted_sum(lowering, values, weights, scale, &p->loss);
}

/* Sum of losses times their loss_weights, and of penalties on what layers give. */
static kpar_status total_loss(kpar_lowering *lowering, const part *parts, int n, kpar_value_id *total)
{
    const int n_terms = n + lowering->n_activity_penalties;
    kpar_value_id *terms = kpar_arena_alloc(lowering->arena, (size_t)n_terms * sizeof *terms);
    kpar_expression_builder *e = kpar_expression_begin(n_terms);
    kpar_x sum = kpar_x_constant(e, 0);
    for (int i = 0; i < n_terms; i++) {
        kpar_x factor = kpar_x_constant(e, i < n ? parts[i].factor : 1);
        terms[i] = i < n ? parts[i].loss : lowering->activity_penalties[i - n];
        sum = kpar_x_add(e, sum, kpar_x_mul(e, kpar_x_input(e, i), factor));
    }
    return kpar_lower_apply(lowering, e, sum, terms, n_terms, total);
}

/* What the gradient is taken of: the total, or where it has one for each value of shape `whole`, the sum of these. */
static kpar_status descended(kpar_lowering *lowering, const kpar_shape *whole, kpar_value_id total,
                             kpar_value_id *loss)
{
    kpar_graph *g = lowering->graph;
    kpar_value_id count;
    if (whole->rank == 0) return kpar_lower_scaled_loss(lowering, total, loss);
    if (lowering->n_activity_penalties > 0 || kpar_lower_is_penalized(lowering))
        return kpar_fail(
            KPAR_EUNSUPPORTED,
            "%s: a loss has the reduction \"none\", and there are regularizers: Keras does not add "
            "their penalties to a loss of several values; use another reduction",
            lowering->model->file);
    g->phase = KPAR_PHASE_FACTS_ROWS;
    KPAR_TRY(kpar_build_reduce(g, KPAR_REDUCE_SUM, 1, kpar_lower_row_mask(lowering), &count));
    KPAR_TRY(kpar_build_accumulate(g, count, &count));
    g->phase = KPAR_PHASE_MICROBATCH;
    KPAR_TRY(kpar_build_affine(g, total, (double)kpar_lower_elements(whole, 1), 0, &total));
    KPAR_TRY(kpar_build_binary(g, KPAR_SCALAR_MULTIPLY, total, count, &total));
    return kpar_lower_scaled_loss(lowering, total, loss);
}

/* Over an epoch the total weighs batches by their rows. */
static kpar_status report_losses(kpar_lowering *lowering, const part *parts, int n, kpar_value_id total)
{
    const kpar_model *model = lowering->model;
    int number;
    kpar_value_id sum;
    KPAR_TRY(kpar_lower_report_value(lowering, total, &number, &sum));
    if (lowering->mode == KPAR_MODE_TRAIN && !kpar_scaling_is_dynamic(lowering))
        kpar_graph_add_output(lowering->graph, KPAR_OUTPUT_GUARD, 0, sum);
    kpar_lower_report(lowering, "loss", number, KPAR_WEIGH_ROWS);
    KPAR_TRY(kpar_lower_penalties(lowering, number));
    for (const part *p = parts; n > 1 && p < parts + n; p++) {
        const char *name = kpar_arena_printf(lowering->arena, "%s_loss", model->outputs[p->output].name);
        KPAR_TRY(kpar_lower_report_value(lowering, p->loss, &number, NULL));
        kpar_lower_report(lowering, name, number, p->weight);
    }
    return KPAR_OK;
}

kpar_status kpar_lower_losses(kpar_lowering *lowering)
{
    const kpar_model *model = lowering->model;
    part *parts = kpar_arena_alloc(lowering->arena, ((size_t)model->n_outputs + 1) * sizeof *parts);
    kpar_shape whole = {.rank = 0};
    kpar_value_id total;
    int n = 0;
    for (int i = 0; i < model->n_outputs; i++) {
        parts[n] = (part){.output = i, .factor = model->loss_weights ? model->loss_weights[i] : 1};
        KPAR_TRY(output_loss(lowering, &parts[n], &whole));
        n += parts[n].loss >= 0;
    }
    if (n == 0)
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: the model is not compiled with a loss; compile it before saving", model->file);
    KPAR_TRY(total_loss(lowering, parts, n, &total));
    if (lowering->mode == KPAR_MODE_TRAIN) KPAR_TRY(descended(lowering, &whole, total, &lowering->loss));
    return report_losses(lowering, parts, n, total);
}
