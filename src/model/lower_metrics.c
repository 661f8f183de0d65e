/* Metrics of all outputs: which row, under which of Keras's names, summed how. `metrics` count every real row once,
 * `weighted_metrics` by its sample weight. */
#include "model/metrics.h"

#include <string.h>
#include <strings.h>

/* One metric being lowered. */
typedef struct metric {
    int output;
    bool weighted, without_loss; /* without_loss: of an output that has none */
    kpar_metric_named is;
    const char *name; /* its own, without the output's */
    const char *owner;
} metric;

/* The row that "accuracy" stands for: by the shape of predictions and by what labels are. */
static const char *accuracy_class(const kpar_shape *prediction, bool sparse)
{
    if (prediction->dims[prediction->rank - 1].size == 1) return "BinaryAccuracy";
    return sparse ? "SparseCategoricalAccuracy" : "CategoricalAccuracy";
}

/* Keras's name: the string as it is, or the config's, or the class's in snake case. */
static kpar_status find_name(kpar_lowering *lowering, metric *m, const json_t *json)
{
    char text[128];
    if (json_is_string(json)) {
        m->name = json_string_value(json);
        return KPAR_OK;
    }
    kpar_snake_case(m->is.class_name, text, sizeof text);
    return kpar_config_string(m->owner, m->is.config, "name", kpar_arena_strdup(lowering->arena, text),
                              &m->name);
}

/* Whether it is the name for an accuracy that shapes tell. The class Accuracy is one of its own. */
static bool is_any_accuracy(const json_t *json)
{
    const char *name = json_string_value(json);
    return name && (strcasecmp(name, "accuracy") == 0 || strcasecmp(name, "acc") == 0);
}

static bool takes_numbers(const metric *m) { return m->is.row ? m->is.row->sparse : m->is.loss->sparse; }

/* Labels are class numbers (`sparse`) as the metric has them. */
static kpar_status check_labels(const metric *m, bool sparse)
{
    const bool wanted = takes_numbers(m);
    if (wanted == sparse || (m->is.row && m->is.row->either)) return KPAR_OK;
    return kpar_fail(KPAR_EUNSUPPORTED, "%s: needs labels that are %s, but the %s of the output takes %s",
                     m->owner, wanted ? "class numbers" : "of the predictions' shape",
                     m->without_loss ? "other metric" : "loss",
                     sparse ? "class numbers" : "labels of the predictions' shape");
}

static kpar_status find_metric(kpar_lowering *lowering, metric *m, const json_t *json,
                               const kpar_shape *prediction, bool sparse)
{
    kpar_metric_named *is = &m->is;
    KPAR_TRY(kpar_metric_find(m->owner, json, is));
    KPAR_TRY(find_name(lowering, m, json));
    if (is_any_accuracy(json)) is->row = kpar_metric_row_find(accuracy_class(prediction, sparse));
    if (!is->row && !is->loss) {
        int n;
        const kpar_metric_row *rows = kpar_metric_rows(&n);
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: '%s' is not supported; supported are: accuracy, %s",
                         m->owner, is->class_name, kpar_table_names(lowering->arena, rows, n, sizeof *rows));
    }
    m->owner = kpar_arena_printf(lowering->arena, "%s (%s)", m->owner,
                                 is->row ? is->row->class_name : is->loss->class_name);
    KPAR_TRY(check_labels(m, sparse));
    return kpar_lower_known(lowering, m->owner, is->config,
                            is->is_object ? "name dtype reduction" : "name dtype fn",
                            is->row ? is->row->arguments : is->loss->arguments, "");
}

/* Each element of the mask is of one value, or of several. */
static kpar_status check_mask(const kpar_lowering *lowering, const metric *m, const kpar_shape *weights,
                              kpar_value_id values)
{
    char want[KPAR_SHAPE_TEXT], found[KPAR_SHAPE_TEXT];
    kpar_shape shape = *kpar_lower_shape(lowering, values);
    if (shape.rank > weights->rank) shape.rank = weights->rank;
    if (kpar_shape_equal(weights, &shape)) return KPAR_OK;
    return kpar_fail(KPAR_EUNSUPPORTED, "%s: predictions have a mask of shape %s, expected %s", m->owner,
                     kpar_shape_format(found, weights), kpar_shape_format(want, &shape));
}

/* Whether a log, or a vector that it is an element of, has this name. */
static bool is_called(const char *log, const char *name)
{
    const size_t length = strlen(name);
    return strncmp(log, name, length) == 0 && (!log[length] || log[length] == '[');
}

static bool name_taken(const kpar_lowering *lowering, const char *name)
{
    for (int i = 0; i < lowering->n_reports; i++)
        if (is_called(lowering->reports[i].name, name)) return true;
    return false;
}

/* The log's name: with the output in front if there are several; a second one of the name is numbered, or if it is
 * weighted, called so. */
static const char *log_name(const kpar_lowering *lowering, const metric *m)
{
    const kpar_model *model = lowering->model;
    const bool several = model->n_outputs > 1;
    const char *output = several ? model->outputs[m->output].name : "", *joint = several ? "_" : "";
    const char *name = kpar_arena_printf(lowering->arena, "%s%s%s", output, joint, m->name);
    if (m->weighted && name_taken(lowering, name))
        name = kpar_arena_printf(lowering->arena, "%s%sweighted_%s", output, joint, m->name);
    const char *base = name;
    for (int i = 1; name_taken(lowering, name); i++)
        name = kpar_arena_printf(lowering->arena, "%s_%d", base, i);
    return name;
}

/* The sample weights, or 1 for each row. A metric of other values than the loss's takes weights of rows. */
static kpar_status given_weights(kpar_lowering *lowering, const metric *m, kpar_shape values,
                                 kpar_value_id *weights)
{
    kpar_weight_range *range = &lowering->weight_ranges[m->output];
    *weights = m->weighted ? kpar_lower_sample_weights(lowering, m->output) : kpar_lower_row_mask(lowering);
    if (values.rank > range->shape.rank) values.rank = range->shape.rank;
    if (!m->weighted || kpar_shape_equal(&range->shape, &values)) return KPAR_OK;
    range->weighs_rows = m->owner;
    const unsigned within = (1u << range->shape.rank) - 2; /* all but the rows; there, all are alike */
    return kpar_build_reduce(lowering->graph, KPAR_REDUCE_MAX, within, *weights, weights);
}

/* The weights of rows, or of values within them, by the mask of the predictions. What a loss leaves out itself is 0 without
 * weights, as in Keras, and does not count with them. */
static kpar_status find_weights(kpar_lowering *lowering, const metric *m, kpar_value_id *values,
                                kpar_value_id *weights)
{
    const kpar_value_id own = lowering->values_mask;
    const kpar_value_id mask = kpar_lower_output_mask(lowering, lowering->model->outputs[m->output].tensor);
    KPAR_TRY(given_weights(lowering, m, *kpar_lower_shape(lowering, *values), weights));
    KPAR_TRY(kpar_lower_masked(lowering, m->output, mask, false, weights));
    if (own < 0) return KPAR_OK;
    if (m->weighted || mask >= 0) return kpar_lower_weighted(lowering, own, *weights, -1, weights);
    return kpar_build_binary(lowering->graph, KPAR_SCALAR_MULTIPLY, *values, own, values);
}

/* Sums over this step: of values times weights, and of weights. A row with several values counts their mean. */
static kpar_status report_values(kpar_lowering *lowering, const metric *m, kpar_value_id values)
{
    int value, weight;
    kpar_value_id sum, count, weights;
    kpar_graph *g = lowering->graph;
    KPAR_TRY(find_weights(lowering, m, &values, &weights));
    const kpar_shape shape = *kpar_lower_shape(lowering, weights);
    const double elements = (double)kpar_lower_elements(kpar_lower_shape(lowering, values), 1);
    KPAR_TRY(check_mask(lowering, m, &shape, values));
    KPAR_TRY(kpar_lower_weighted_sum(lowering, values, weights, -1, &sum));
    KPAR_TRY(kpar_build_affine(g, sum, 1 / elements, 0, &sum));
    KPAR_TRY(kpar_build_reduce(g, KPAR_REDUCE_SUM, (1u << shape.rank) - 1, weights, &count));
    KPAR_TRY(kpar_build_affine(g, count, 1 / (double)kpar_lower_elements(&shape, 1), 0, &count));
    KPAR_TRY(kpar_lower_report_value(lowering, sum, &value, NULL));
    KPAR_TRY(kpar_lower_report_value(lowering, count, &weight, NULL));
    kpar_lower_report(lowering, log_name(lowering, m), value, weight);
    return KPAR_OK;
}

/* Ends the formula and reports it, unless adding the sums up failed. */
static kpar_status report_sums(kpar_lowering *lowering, const metric *m, bool each_batch,
                               kpar_metric_sums *sums, kpar_status status)
{
    const kpar_x *results = sums->results ? sums->results : &sums->result;
    const int n = status != KPAR_OK ? 0 : sums->results ? sums->n_results : 1;
    const kpar_expression *formula =
        sums->e ? kpar_expression_end(sums->e, lowering->arena, results, n) : NULL;
    const int first = lowering->n_report_values;
    for (int i = 0, number; i < sums->n && status == KPAR_OK; i++)
        status = kpar_lower_report_value(lowering, sums->values[i], &number, NULL);
    if (status == KPAR_OK)
        kpar_lower_report_formula(lowering, log_name(lowering, m), first, each_batch, formula);
    return status;
}

/* What metrics of a list say of labels: whether one takes class numbers, and one labels of the predictions' shape. */
static kpar_status ask_metrics(const char *owner, const json_t *list, bool *sparse, bool *dense)
{
    size_t i;
    const json_t *json;
    json_array_foreach(list, i, json)
    {
        metric m = {0};
        KPAR_TRY(kpar_metric_find(owner, json, &m.is));
        const bool decides = m.is.loss || (m.is.row && !m.is.row->either);
        if (decides && !is_any_accuracy(json)) *(takes_numbers(&m) ? sparse : dense) = true;
    }
    return KPAR_OK;
}

/* Whether labels of the output are class numbers: as its loss has them, without one as its metrics do. */
static kpar_status find_labels(kpar_lowering *lowering, metric *m, const kpar_shape *prediction, bool *sparse)
{
    const kpar_model *model = lowering->model;
    const kpar_loss_row *loss;
    const json_t *config;
    const char *owner;
    bool dense = prediction->dims[prediction->rank - 1].size == 1;
    *sparse = false;
    KPAR_TRY(kpar_lower_loss_row(lowering, m->output, &loss, &config, &owner));
    m->without_loss = !loss;
    if (loss) *sparse = loss->sparse;
    if (loss) return KPAR_OK;
    if (model->metrics) KPAR_TRY(ask_metrics(m->owner, model->metrics[m->output], sparse, &dense));
    if (model->weighted_metrics)
        KPAR_TRY(ask_metrics(m->owner, model->weighted_metrics[m->output], sparse, &dense));
    if (*sparse || dense) return KPAR_OK;
    return kpar_fail(
        KPAR_EUNSUPPORTED,
        "%s: the output has no loss, so it is not known whether its labels are class numbers; name "
        "sparse_categorical_accuracy or categorical_accuracy",
        m->owner);
}

/* What the config says of a loss that is a metric; not "none" where it says nothing. */
static kpar_status find_reduction(const metric *m, const char **reduction)
{
    const bool null = json_is_null(json_object_get(m->is.config, "reduction"));
    return kpar_config_string(m->owner, m->is.config, "reduction", null ? "none" : "mean", reduction);
}

/* Whether a loss has one value for the batch, by itself or since it reduces. */
static kpar_status is_of_batch(const metric *m, bool *of_batch)
{
    const char *reduction;
    KPAR_TRY(find_reduction(m, &reduction));
    *of_batch = m->is.is_object && strcmp(reduction, "none") != 0;
    if (m->is.loss && m->is.loss->sums && !kpar_config_has(m->is.config, "axis")) *of_batch = true;
    return KPAR_OK;
}

/* Sums whose formula is the mean, or the sum, of values of rows. */
static kpar_status reduce_values(kpar_lowering *lowering, const metric *m, kpar_value_id values,
                                 kpar_metric_sums *sums)
{
    kpar_value_id weights = sums->weights;
    const char *reduction;
    KPAR_TRY(find_reduction(m, &reduction));
    KPAR_TRY(kpar_lower_masked(lowering, m->output, lowering->values_mask, false, &weights));
    const kpar_shape *each = kpar_lower_shape(lowering, weights);
    const unsigned all = (1u << each->rank) - 1;
    const double elements = (double)kpar_lower_elements(kpar_lower_shape(lowering, values), 1) /
                            (double)kpar_lower_elements(each, 1);
    KPAR_TRY(kpar_lower_weighted_sum(lowering, values, weights, -1, &sums->values[0]));
    KPAR_TRY(kpar_build_reduce(lowering->graph, KPAR_REDUCE_SUM, all, weights, &sums->values[1]));
    sums->n = 2;
    kpar_expression_builder *e = sums->e = kpar_expression_begin(2);
    const kpar_x total = kpar_x_input(e, 0),
                 count = kpar_x_mul(e, kpar_x_input(e, 1), kpar_x_constant(e, elements));
    sums->result = strcmp(reduction, "sum") == 0 ? total : kpar_metric_quotient(e, total, count);
    return KPAR_OK;
}

/* The mean over batches of what a loss makes of each. Weights of rows, where data have them, are refused with the data. */
static kpar_status report_batches(kpar_lowering *lowering, const metric *m, kpar_value_id prediction,
                                  kpar_value_id labels)
{
    const kpar_loss_row *loss = m->is.loss;
    kpar_value_id values;
    kpar_metric_sums sums = {.weights = kpar_lower_row_mask(lowering)};
    if (m->weighted) lowering->weight_ranges[m->output].unweighted = m->owner;
    if (kpar_lower_output_mask(lowering, lowering->model->outputs[m->output].tensor) >= 0)
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: is one value for the batch, which a mask of predictions cannot weigh; use the "
                         "metric of the name",
                         m->owner);
    if (loss->sums && !kpar_config_has(m->is.config, "axis"))
        return report_sums(lowering, m, true, &sums,
                           loss->sums(lowering, m->is.config, m->owner, prediction, labels, &sums));
    KPAR_TRY(kpar_loss_values(lowering, loss, m->is.config, m->owner, prediction, labels, &values));
    return report_sums(lowering, m, true, &sums, reduce_values(lowering, m, values, &sums));
}

/* A row that has neither sums nor values is the loss of its class. */
static kpar_status report_metric(kpar_lowering *lowering, const metric *m, kpar_value_id prediction,
                                 kpar_value_id labels)
{
    const kpar_metric_named *is = &m->is;
    kpar_value_id values;
    bool of_batch;
    if (is->row && is->row->sums) {
        kpar_metric_sums sums = {.rows = kpar_lower_row_mask(lowering)};
        KPAR_TRY(given_weights(lowering, m, *kpar_lower_shape(lowering, prediction), &sums.weights));
        return report_sums(lowering, m, false, &sums,
                           is->row->sums(lowering, is->config, m->owner, prediction, labels, &sums));
    }
    KPAR_TRY(is_of_batch(m, &of_batch));
    if (of_batch) return report_batches(lowering, m, prediction, labels);
    if (is->row && is->row->lower)
        KPAR_TRY(is->row->lower(lowering, is->config, m->owner, prediction, labels, &values));
    else
        KPAR_TRY(kpar_loss_values(lowering, is->loss ? is->loss : kpar_loss_row_find(is->row->class_name),
                                  is->config, m->owner, prediction, labels, &values));
    return report_values(lowering, m, values);
}

/* A value for some dimensions of a batch, but not for its rows, has no log over an epoch. */
static kpar_status check_axes(const metric *m, int rank)
{
    unsigned axes;
    const bool whole = m->is.loss && m->is.loss->sums && kpar_config_has(m->is.config, "axis");
    return whole ? kpar_axes_in(m->owner, m->is.config, "axis", rank, &axes) : KPAR_OK;
}

/* Without a loss, weights are of what most metrics have: a value for the last dimension. */
static void note_weights(kpar_lowering *lowering, int output, kpar_shape prediction)
{
    prediction.rank--;
    lowering->weight_ranges[output].shape = prediction;
}

/* What numbers labels may be is for the loss to say, if there is one. */
static kpar_status lower_metric(kpar_lowering *lowering, metric *m, const json_t *json)
{
    kpar_value_id prediction;
    bool sparse;
    KPAR_TRY(kpar_lower_prediction(lowering, m->output, &prediction));
    const kpar_shape shape = *kpar_lower_shape(lowering, prediction);
    if (shape.rank < 2)
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: predictions have shape (batch), expected (batch, ..., values)", m->owner);
    KPAR_TRY(find_labels(lowering, m, &shape, &sparse));
    KPAR_TRY(find_metric(lowering, m, json, &shape, sparse));
    KPAR_TRY(check_axes(m, shape.rank));
    const kpar_value_id labels = kpar_lower_labels(lowering, m->output, &shape, sparse);
    kpar_label_range *range = &lowering->label_ranges[m->output];
    const kpar_label_range of_loss = *range;
    if (m->without_loss) note_weights(lowering, m->output, shape);
    KPAR_TRY(report_metric(lowering, m, prediction, labels));
    if (!m->without_loss) *range = of_loss;
    return KPAR_OK;
}

static kpar_status lower_list(kpar_lowering *lowering, int output, const json_t *list, bool weighted)
{
    const kpar_model *model = lowering->model;
    const char *owner = kpar_arena_printf(lowering->arena, "%s: metric of output '%s'", model->file,
                                          model->outputs[output].name);
    size_t i;
    const json_t *json;
    json_array_foreach(list, i, json)
    {
        metric m = {.output = output, .weighted = weighted, .owner = owner};
        KPAR_TRY(lower_metric(lowering, &m, json));
    }
    return KPAR_OK;
}

kpar_status kpar_lower_metrics(kpar_lowering *lowering)
{
    const kpar_model *model = lowering->model;
    for (int i = 0; model->metrics && i < model->n_outputs; i++)
        KPAR_TRY(lower_list(lowering, i, model->metrics[i], false));
    for (int i = 0; model->weighted_metrics && i < model->n_outputs; i++)
        KPAR_TRY(lower_list(lowering, i, model->weighted_metrics[i], true));
    return KPAR_OK;
}
