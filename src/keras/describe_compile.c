/* How a model is compiled: the optimizer, and for each output its loss, the loss's weight and its metrics,
 * which Keras takes as one, as a list or by the outputs' names. */
#include "keras/describe.h"

#include "model/config.h"
#include "model/tables.h"

#include "base/log.h"

#include <string.h>
#include <strings.h>

/* Whether a JSON value names one object, and is not a dict by output. */
static bool is_named(const json_t *value)
{
    return json_is_string(value) || json_object_get(value, "class_name");
}

static int output_index(const kpar_model *model, const char *name)
{
    for (int i = 0; i < model->n_outputs; i++)
        if (strcmp(model->outputs[i].name, name) == 0) return i;
    return -1;
}

static const char *output_names(const kpar_model *model)
{
    const char *names = model->outputs[0].name;
    for (int i = 1; i < model->n_outputs; i++)
        names = kpar_arena_printf(model->arena, "%s, %s", names, model->outputs[i].name);
    return names;
}

/* A list as long as the outputs, or a dict by their names: an entry each; NULL for those it does not name. */
static kpar_status spread(const kpar_description *d, const char *what, const json_t *value,
                          const json_t **entries)
{
    const kpar_model *model = d->model;
    const char *key;
    json_t *entry;
    for (int i = 0; i < model->n_outputs; i++) entries[i] = json_array_get(value, (size_t)i);
    if (json_is_array(value) && json_array_size(value) == (size_t)model->n_outputs) return KPAR_OK;
    if (!json_is_object(value))
        return kpar_fail(KPAR_EFORMAT,
                         "%s: compile_config: %s: expected an entry for each of %d outputs (%s), found %zu",
                         d->file, what, model->n_outputs, output_names(model), json_array_size(value));
    json_object_foreach((json_t *)(uintptr_t)value, key, entry)
    {
        int i = output_index(model, key);
        if (i < 0)
            return kpar_fail(KPAR_EFORMAT,
                             "%s: compile_config: %s: the model has no output '%s', its outputs are: %s",
                             d->file, what, key, output_names(model));
        entries[i] = entry;
    }
    return KPAR_OK;
}

static const char *owner_of(const kpar_description *d, const char *what)
{
    return kpar_arena_printf(d->model->arena, "%s: compile_config: %s", d->file, what);
}

/* Finds the row of a table that a class is. */
static kpar_status check_class(const kpar_description *d, const char *owner, const char *class_name,
                               const void *rows, int n, size_t row_bytes)
{
    if (kpar_table_find(rows, n, row_bytes, class_name)) return KPAR_OK;
    return kpar_fail(KPAR_EUNSUPPORTED, "%s '%s' is not supported; supported: %s", owner, class_name,
                     kpar_table_names(d->model->arena, rows, n, row_bytes));
}

/* Finds the row of a table that an object or a name means. */
static kpar_status check_known(const kpar_description *d, const char *what, const json_t *object,
                               const void *rows, int n, size_t row_bytes)
{
    const char *class_name, *owner = owner_of(d, what);
    const json_t *config;
    KPAR_TRY(kpar_config_object(owner, object, &class_name, &config));
    return check_class(d, owner, class_name, rows, n, row_bytes);
}

static kpar_status check_loss(const kpar_description *d, const json_t *loss)
{
    int n;
    const kpar_loss_row *rows = kpar_loss_rows(&n);
    const char *class_name, *owner = owner_of(d, "loss");
    const json_t *config;
    KPAR_TRY(kpar_loss_object(owner, loss, &class_name, &config));
    return check_class(d, owner, class_name, rows, n, sizeof *rows);
}

/* Names, in small or capital letters, that mean one metric or another by the shapes of labels and predictions. */
static bool depends_on_shapes(const json_t *metric)
{
    static const char *const names[] = {"accuracy", "acc", "crossentropy", "ce"};
    const char *name = json_string_value(metric);
    for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
        if (strcasecmp(name, names[i]) == 0) return true;
    return false;
}

static kpar_status check_metrics(const kpar_description *d, const json_t *metrics)
{
    size_t i;
    const json_t *metric;
    const char *owner = owner_of(d, "metric");
    int n;
    const kpar_metric_row *rows = kpar_metric_rows(&n);
    json_array_foreach(metrics, i, metric)
    {
        if (depends_on_shapes(metric)) continue;
        kpar_metric_named named;
        KPAR_TRY(kpar_metric_find(owner, metric, &named));
        if (!named.loss) KPAR_TRY(check_class(d, owner, named.class_name, rows, n, sizeof *rows));
    }
    return KPAR_OK;
}

static kpar_status describe_losses(kpar_description *d, const json_t *loss)
{
    kpar_model *model = d->model;
    if (json_is_null(loss) || !loss) return KPAR_OK;
    if (!is_named(loss)) KPAR_TRY(spread(d, "loss", loss, model->losses));
    for (int i = 0; i < model->n_outputs; i++) {
        if (is_named(loss)) model->losses[i] = loss;
        if (json_is_null(model->losses[i])) model->losses[i] = NULL;
        if (model->losses[i]) KPAR_TRY(check_loss(d, model->losses[i]));
    }
    return KPAR_OK;
}

/* Keras itself stops in the first training step at a weight that is no number. Files have them where metrics
 * were given in the place of weights, and what is meant is clear. */
static double loss_weight(const kpar_description *d, int output, const json_t *weight)
{
    if (json_is_number(weight)) return json_number_value(weight);
    if (weight && !json_is_null(weight)) {
        const char *text = json_string_value(weight);
        kpar_note("%s: compile_config: loss_weights of output '%s': expected a number, found %s; taken as 1 "
                  "(were metrics given in their place? compile(..., metrics=[...]) names them)",
                  d->file, d->model->outputs[output].name, text ? text : "something else");
    }
    return 1.0;
}

static kpar_status describe_loss_weights(kpar_description *d, const json_t *weights)
{
    kpar_model *model = d->model;
    const json_t **entries = kpar_arena_alloc(model->arena, (size_t)model->n_outputs * sizeof *entries);
    bool one = json_is_number(weights);
    if (json_is_array(weights) || json_is_object(weights))
        KPAR_TRY(spread(d, "loss_weights", weights, entries));
    for (int i = 0; i < model->n_outputs; i++)
        model->loss_weights[i] = loss_weight(d, i, one ? weights : entries[i]);
    return KPAR_OK;
}

/* Appends the metrics in lists, in lists, as Keras flattens them. */
static void flatten(json_t *list, const json_t *metrics)
{
    size_t i;
    const json_t *item;
    if (is_named(metrics)) json_array_append(list, (json_t *)(uintptr_t)metrics);
    json_array_foreach(metrics, i, item) flatten(list, item);
}

/* The metrics of one output as a flat list, owned by the model; NULL: none. */
static const json_t *as_list(kpar_model *model, const json_t *metrics)
{
    json_t *list = json_array();
    flatten(list, metrics);
    if (!model->made) model->made = json_array();
    json_array_append_new(model->made, list);
    return json_array_size(list) ? list : NULL;
}

/* With one output, all that is listed is that output's. */
static kpar_status describe_metrics(kpar_description *d, const char *what, const json_t *metrics,
                                    const json_t **entries)
{
    kpar_model *model = d->model;
    if (!metrics || json_is_null(metrics) || (json_is_array(metrics) && json_array_size(metrics) == 0))
        return KPAR_OK;
    if (json_is_array(metrics) && model->n_outputs == 1)
        entries[0] = metrics;
    else
        KPAR_TRY(spread(d, what, metrics, entries));
    for (int i = 0; i < model->n_outputs; i++) {
        entries[i] = as_list(model, entries[i]);
        KPAR_TRY(check_metrics(d, entries[i]));
    }
    return KPAR_OK;
}

/* The optimizer itself, of one in a LossScaleOptimizer. */
static const json_t *unwrap_optimizer(kpar_description *d, const json_t *optimizer)
{
    const char *name = json_string_value(json_object_get(optimizer, "class_name"));
    const json_t *config = json_object_get(optimizer, "config"),
                 *inner = json_object_get(config, "inner_optimizer");
    if (!name || strcmp(name, "LossScaleOptimizer") != 0 || !inner) return optimizer;
    d->model->loss_scaling = config;
    return inner;
}

static kpar_status describe_optimizer(kpar_description *d, const json_t *optimizer)
{
    int n;
    if (!optimizer || json_is_null(optimizer)) return KPAR_OK;
    const kpar_optimizer_row *rows = kpar_optimizer_rows(&n);
    optimizer = unwrap_optimizer(d, optimizer);
    KPAR_TRY(check_known(d, "optimizer", optimizer, rows, n, sizeof *rows));
    d->model->optimizer = optimizer;
    const json_t *rate = json_object_get(json_object_get(optimizer, "config"), "learning_rate");
    if (!json_is_object(rate)) return KPAR_OK;
    const kpar_schedule_row *schedules = kpar_schedule_rows(&n);
    return check_known(d, "learning-rate schedule", rate, schedules, n, sizeof *schedules);
}

/* compile(loss=...) without an optimizer takes Keras's preset; a model without any compile_config has none. */
static const json_t *optimizer_of(kpar_model *model, const json_t *compile_config)
{
    const json_t *optimizer = json_object_get(compile_config, "optimizer");
    if (optimizer || json_object_size(compile_config) == 0) return optimizer;
    if (!model->made) model->made = json_array();
    json_t *preset = json_string(KPAR_PRESET_OPTIMIZER);
    json_array_append_new(model->made, preset);
    return preset;
}

kpar_status kpar_describe_compile(kpar_description *d, const json_t *compile_config)
{
    kpar_model *model = d->model;
    size_t n = (size_t)model->n_outputs;
    model->losses = kpar_arena_alloc(model->arena, n * sizeof *model->losses);
    model->loss_weights = kpar_arena_alloc(model->arena, n * sizeof *model->loss_weights);
    model->metrics = kpar_arena_alloc(model->arena, n * sizeof *model->metrics);
    model->weighted_metrics = kpar_arena_alloc(model->arena, n * sizeof *model->weighted_metrics);
    KPAR_TRY(describe_optimizer(d, optimizer_of(model, compile_config)));
    KPAR_TRY(describe_losses(d, json_object_get(compile_config, "loss")));
    KPAR_TRY(describe_loss_weights(d, json_object_get(compile_config, "loss_weights")));
    KPAR_TRY(describe_metrics(d, "metrics", json_object_get(compile_config, "metrics"), model->metrics));
    return describe_metrics(d, "weighted_metrics", json_object_get(compile_config, "weighted_metrics"),
                            model->weighted_metrics);
}
