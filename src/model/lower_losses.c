/* The total loss of a microbatch, as its share of the global batch's loss: values of rows times their weights over a
 * denominator that is a fact (it depends on data alone and is summed over the global batch before the rest of the step).
 * So gradients come out as terms of the global gradient on whatever part of the batch a rank has. */
#include "model/lower_internal.h"

#include <string.h>

typedef enum reduction { REDUCE_SUM, REDUCE_MEAN, REDUCE_WEIGHTED_MEAN } reduction;

static kpar_status parse_reduction(const char *owner, const json_t *config, reduction *result)
{
    static const struct {
        const char *name;
        reduction value;
    } names[] = {
        {"sum", REDUCE_SUM},
        {"sum_over_batch_size", REDUCE_MEAN},
        {"mean", REDUCE_MEAN},
        {"mean_with_sample_weight", REDUCE_WEIGHTED_MEAN},
    };
    const char *name;
    KPAR_TRY(kpar_config_string(owner, config, "reduction", "sum_over_batch_size", &name));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i].name, name) == 0) {
            *result = names[i].value;
            return KPAR_OK;
        }
    return kpar_fail(KPAR_EUNSUPPORTED,
                     "%s: argument 'reduction' is \"%s\"; supported are: sum, sum_over_batch_size, mean, "
                     "mean_with_sample_weight",
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
    KPAR_TRY(kpar_config_object(*owner, loss, &name, config));
    *row = kpar_loss_row_find(name);
    if (!*row) {
        int n;
        const kpar_loss_row *rows = kpar_loss_rows(&n);
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: '%s' is not supported; supported are: %s", *owner, name,
                         kpar_table_names(lowering->arena, rows, n, sizeof *rows));
    }
    *owner = kpar_arena_printf(lowering->arena, "%s (%s)", *owner, (*row)->class_name);
    return kpar_lower_known(lowering, *owner, *config, "name reduction dtype", (*row)->arguments, "");
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
    KPAR_TRY(scale_fact(lowering, kpar_lower_row_weights(lowering, 0, false), 1, scale));
    lowering->graph->phase = KPAR_PHASE_MICROBATCH;
    return KPAR_OK;
}

/* What the values of an output are multiplied by, besides their weights; -1 for a sum. A mean is over the values that the
 * mask leaves. */
static kpar_status output_scale(kpar_lowering *lowering, int output, reduction kind, kpar_value_id mask,
                                int64_t elements, kpar_value_id *scale)
{
    kpar_graph *g = lowering->graph;
    *scale = -1;
    if (kind == REDUCE_SUM) return KPAR_OK;
    kpar_value_id weights = kpar_lower_row_weights(lowering, output, kind == REDUCE_WEIGHTED_MEAN);
    g->phase = KPAR_PHASE_FACTS_ROWS;
    KPAR_TRY(kpar_lower_masked(lowering, output, mask, true, &weights));
    elements /= kpar_lower_elements(kpar_lower_shape(lowering, weights), 1);
    KPAR_TRY(scale_fact(lowering, weights, elements, scale));
    g->phase = KPAR_PHASE_MICROBATCH;
    return KPAR_OK;
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

/* This microbatch's share of the loss of one output; *loss is -1 if the output has none. */
static kpar_status output_loss(kpar_lowering *lowering, int output, kpar_value_id *loss)
{
    const kpar_loss_row *row;
    const json_t *config = NULL;
    const char *owner;
    reduction kind = REDUCE_MEAN;
    kpar_value_id values, mask, scale;
    *loss = -1;
    KPAR_TRY(kpar_lower_loss_row(lowering, output, &row, &config, &owner));
    if (!row) return KPAR_OK;
    KPAR_TRY(parse_reduction(owner, config, &kind));

    kpar_value_id prediction;
    KPAR_TRY(kpar_lower_prediction(lowering, output, &prediction));
    const kpar_shape *shape = kpar_lower_shape(lowering, prediction);
    if (shape->rank < 2) {
        char text[KPAR_SHAPE_TEXT];
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: predictions have shape %s, expected (batch, ..., values)",
                         owner, kpar_shape_format(text, shape));
    }
    kpar_value_id labels = kpar_lower_labels(lowering, output, shape, row->sparse);
    KPAR_TRY(kpar_loss_values(lowering, row, config, owner, prediction, labels, &values));
    shape = kpar_lower_shape(lowering, values);
    KPAR_TRY(loss_mask(lowering, owner, output, shape, &mask));
    KPAR_TRY(output_scale(lowering, output, kind, mask, kpar_lower_elements(shape, 1), &scale));
    kpar_value_id weights = kpar_lower_row_weights(lowering, output, true);
    KPAR_TRY(kpar_lower_masked(lowering, output, mask, false, &weights));
    return kpar_lower_weighted_sum(lowering, values, weights, scale, loss);
}

/* Sum of losses times their loss_weights, and of penalties on what layers give. */
static kpar_status total_loss(kpar_lowering *lowering, const kpar_value_id *losses, const double *factors,
                              int n, kpar_value_id *total)
{
    const int n_terms = n + lowering->n_activity_penalties;
    kpar_value_id *terms = kpar_arena_alloc(lowering->arena, (size_t)n_terms * sizeof *terms);
    kpar_expression_builder *e = kpar_expression_begin(n_terms);
    kpar_x sum = kpar_x_constant(e, 0);
    for (int i = 0; i < n_terms; i++) {
        kpar_x factor = kpar_x_constant(e, i < n ? factors[i] : 1);
        terms[i] = i < n ? losses[i] : lowering->activity_penalties[i - n];
        sum = kpar_x_add(e, sum, kpar_x_mul(e, kpar_x_input(e, i), factor));
    }
    return kpar_lower_apply(lowering, e, sum, terms, n_terms, total);
}

/* Over an epoch the total weighs batches by their rows, but the outputs' own losses all batches alike, as in Keras:
 * its graphs do not know the size of a batch. */
kpar_status kpar_lower_losses(kpar_lowering *lowering)
{
    const kpar_model *model = lowering->model;
    const size_t n_outputs = (size_t)model->n_outputs;
    kpar_value_id *losses = kpar_arena_alloc(lowering->arena, (n_outputs + 1) * sizeof *losses), total, sum;
    double *factors = kpar_arena_alloc(lowering->arena, (n_outputs + 1) * sizeof *factors);
    int *outputs = kpar_arena_alloc(lowering->arena, (n_outputs + 1) * sizeof *outputs);
    int n = 0, number;
    for (int i = 0; i < model->n_outputs; i++) {
        KPAR_TRY(output_loss(lowering, i, &losses[n]));
        if (losses[n] < 0) continue;
        factors[n] = model->loss_weights ? model->loss_weights[i] : 1;
        outputs[n++] = i;
    }
    if (n == 0)
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: the model is not compiled with a loss; compile it before saving", model->file);

    KPAR_TRY(total_loss(lowering, losses, factors, n, &total));
    if (lowering->mode == KPAR_MODE_TRAIN) KPAR_TRY(kpar_lower_scaled_loss(lowering, total, &lowering->loss));
    KPAR_TRY(kpar_lower_report_value(lowering, total, &number, &sum));
    if (lowering->mode == KPAR_MODE_TRAIN) kpar_graph_add_output(lowering->graph, KPAR_OUTPUT_GUARD, 0, sum);
    kpar_lower_report(lowering, "loss", number, KPAR_WEIGH_ROWS);
    KPAR_TRY(kpar_lower_penalties(lowering, number));
    for (int i = 0; n > 1 && i < n; i++) {
        KPAR_TRY(kpar_lower_report_value(lowering, losses[i], &number, NULL));
        kpar_lower_report(lowering,
                          kpar_arena_printf(lowering->arena, "%s_loss", model->outputs[outputs[i]].name),
                          number, KPAR_WEIGH_BATCHES);
    }
    return KPAR_OK;
}
