/* Metrics of all outputs: which row, under which of Keras's names, summed how. `metrics` count every real row once,
 * `weighted_metrics` by its sample weight. */
#include "model/lower_internal.h"

#include <string.h>
#include <strings.h>

/* One metric being lowered. */
typedef struct metric {
    int output;
    bool weighted, without_loss; /* without_loss: of an output that has none */
    const kpar_metric_row *row;
    const json_t *config; /* NULL: defaults */
    const char *name;     /* its own, without the output's */
    const char *owner;
} metric;

/* The row that "accuracy" stands for: by the shape of predictions and by what labels are. */
static const char *accuracy_class(const kpar_shape *prediction, bool sparse)
{
    if (prediction->dims[prediction->rank - 1].size == 1) return "BinaryAccuracy";
    return sparse ? "SparseCategoricalAccuracy" : "CategoricalAccuracy";
}

/* Keras's name: the string as it is, or the config's, or the class's in snake case. */
static kpar_status metric_name(kpar_lowering *lowering, metric *m, const json_t *json, const char *class_name)
{
    char text[128];
    if (json_is_string(json)) {
        m->name = json_string_value(json);
        return KPAR_OK;
    }
    kpar_snake_case(class_name, text, sizeof text);
    return kpar_config_string(m->owner, m->config, "name", kpar_arena_strdup(lowering->arena, text),
                              &m->name);
}

/* Whether it is the name for an accuracy that shapes tell. The class Accuracy is one of its own. */
static bool is_any_accuracy(const json_t *json)
{
    const char *name = json_string_value(json);
    return name && (strcasecmp(name, "accuracy") == 0 || strcasecmp(name, "acc") == 0);
}

static kpar_status find_metric(kpar_lowering *lowering, metric *m, const json_t *json,
                               const kpar_shape *prediction, bool sparse)
{
    const char *class_name;
    KPAR_TRY(kpar_metric_object(m->owner, json, &class_name, &m->config));
    KPAR_TRY(metric_name(lowering, m, json, class_name));
    if (is_any_accuracy(json)) class_name = accuracy_class(prediction, sparse);
    m->row = kpar_metric_row_find(class_name);
    if (!m->row) {
        int n;
        const kpar_metric_row *rows = kpar_metric_rows(&n);
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: '%s' is not supported; supported are: accuracy, %s",
                         m->owner, class_name, kpar_table_names(lowering->arena, rows, n, sizeof *rows));
    }
    m->owner = kpar_arena_printf(lowering->arena, "%s (%s)", m->owner, m->row->class_name);
    if (m->row->sparse != sparse && !m->row->either)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: needs labels that are %s, but the %s of the output takes %s",
                         m->owner, m->row->sparse ? "class numbers" : "of the predictions' shape",
                         m->without_loss ? "other metric" : "loss",
                         sparse ? "class numbers" : "labels of the predictions' shape");
    return kpar_lower_known(lowering, m->owner, m->config, "name dtype fn", m->row->arguments, "");
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

/* Sums over this step: of values times weights, and of weights, where the mask of the predictions counts. A row with
 * several values counts their mean. */
static kpar_status report_metric(kpar_lowering *lowering, const metric *m, kpar_value_id values,
                                 const char *name)
{
    int value, weight;
    kpar_value_id sum, count, weights = kpar_lower_row_weights(lowering, m->output, m->weighted);
    kpar_graph *g = lowering->graph;
    const kpar_value_id mask = kpar_lower_output_mask(lowering, lowering->model->outputs[m->output].tensor);
    KPAR_TRY(kpar_lower_masked(lowering, m->output, mask, false, &weights));
    const kpar_shape shape = *kpar_lower_shape(lowering, weights);
    const double elements = (double)kpar_lower_elements(kpar_lower_shape(lowering, values), 1);
    KPAR_TRY(check_mask(lowering, m, &shape, values));
    KPAR_TRY(kpar_lower_weighted_sum(lowering, values, weights, -1, &sum));
    KPAR_TRY(kpar_build_affine(g, sum, 1 / elements, 0, &sum));
    KPAR_TRY(kpar_build_reduce(g, KPAR_REDUCE_SUM, (1u << shape.rank) - 1, weights, &count));
    KPAR_TRY(kpar_build_affine(g, count, 1 / (double)kpar_lower_elements(&shape, 1), 0, &count));
    KPAR_TRY(kpar_lower_report_value(lowering, sum, &value, NULL));
    KPAR_TRY(kpar_lower_report_value(lowering, count, &weight, NULL));
    kpar_lower_report(lowering, name, value, weight);
    return KPAR_OK;
}

static kpar_status report_sums(kpar_lowering *lowering, const metric *m, kpar_value_id prediction,
                               kpar_value_id labels, const char *name)
{
    kpar_metric_sums sums = {.weights = kpar_lower_row_weights(lowering, m->output, m->weighted),
                             .rows = kpar_lower_row_weights(lowering, m->output, false)};
    kpar_status status = m->row->sums(lowering, m->config, m->owner, prediction, labels, &sums);
    const kpar_x *results = sums.results ? sums.results : &sums.result;
    const int n = status != KPAR_OK ? 0 : sums.results ? sums.n_results : 1;
    const kpar_expression *formula = sums.e ? kpar_expression_end(sums.e, lowering->arena, results, n) : NULL;
    const int first = lowering->n_report_values;
    for (int i = 0, number; i < sums.n && status == KPAR_OK; i++)
        status = kpar_lower_report_value(lowering, sums.values[i], &number, NULL);
    if (status == KPAR_OK) kpar_lower_report_formula(lowering, name, first, formula);
    return status;
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

/* What metrics of a list say of labels: whether one takes class numbers, and one labels of the predictions' shape. */
static kpar_status ask_metrics(const char *owner, const json_t *list, bool *sparse, bool *dense)
{
    size_t i;
    const json_t *json, *config;
    const char *class_name;
    json_array_foreach(list, i, json)
    {
        KPAR_TRY(kpar_metric_object(owner, json, &class_name, &config));
        const kpar_metric_row *row = is_any_accuracy(json) ? NULL : kpar_metric_row_find(class_name);
        if (row && !row->either) *(row->sparse ? sparse : dense) = true;
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

static kpar_status lower_metric(kpar_lowering *lowering, metric *m, const json_t *json)
{
    kpar_value_id prediction, values;
    bool sparse;
    KPAR_TRY(kpar_lower_prediction(lowering, m->output, &prediction));
    const kpar_shape shape = *kpar_lower_shape(lowering, prediction);
    KPAR_TRY(find_labels(lowering, m, &shape, &sparse));
    KPAR_TRY(find_metric(lowering, m, json, &shape, sparse));
    kpar_value_id labels = kpar_lower_labels(lowering, m->output, &shape, sparse);
    if (m->row->sums) return report_sums(lowering, m, prediction, labels, log_name(lowering, m));
    if (m->row->lower)
        KPAR_TRY(m->row->lower(lowering, m->config, m->owner, prediction, labels, &values));
    else
        KPAR_TRY(kpar_loss_values(lowering, kpar_loss_row_find(m->row->class_name), m->config, m->owner,
                                  prediction, labels, &values));
    return report_metric(lowering, m, values, log_name(lowering, m));
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
