/* Lowering the forward pass: sources, one layer call after the other, predictions, losses, metrics. */
#include "model/lower_optimizer.h"

#include <string.h>

const char *kpar_mode_name(kpar_mode mode)
{
    static const char *const names[KPAR_MODE_COUNT] = {"train", "evaluate", "predict"};
    return names[mode];
}

void kpar_lower_begin(kpar_lowering *lowering, kpar_graph *graph, kpar_catalog *catalog,
                      const kpar_model *model, kpar_mode mode, uint64_t seed)
{
    *lowering = (kpar_lowering){
        .graph = graph,
        .catalog = catalog,
        .model = model,
        .mode = mode,
        .seed = seed,
        .arena = graph->arena,
        .loss = -1,
        .logits = -1,
        .values_mask = -1,
        .owner = model->file,
        .microbatches = 1,
        .batch_size = 1,
    };
    const size_t n = (size_t)model->n_outputs + 1;
    lowering->label_ranges = kpar_arena_alloc(lowering->arena, n * sizeof *lowering->label_ranges);
    lowering->weight_ranges = kpar_arena_alloc(lowering->arena, n * sizeof *lowering->weight_ranges);
    memset(lowering->label_ranges, 0, n * sizeof *lowering->label_ranges);
    memset(lowering->weight_ranges, 0, n * sizeof *lowering->weight_ranges);
    graph->part = KPAR_FORWARD;
}

void kpar_lower_end(kpar_lowering *lowering)
{
    kpar_free(lowering->reports);
    kpar_free(lowering->activity_penalties);
    lowering->activity_penalties = NULL;
    lowering->reports = NULL;
    lowering->n_reports = 0;
    lowering->reports_capacity = 0;
}

/* The groups of model.weights.h5: the model's own, the layers' in config order, the optimizer's. */
static kpar_status add_groups(kpar_lowering *lowering)
{
    const kpar_model *model = lowering->model;
    kpar_catalog *catalog = lowering->catalog;
    if (catalog->n_groups > 0) return KPAR_OK;
    kpar_catalog_add_group(catalog, "", model->name);
    for (int i = 0; i < model->n_layers; i++) kpar_catalog_add_layer(catalog, &model->layers[i]);
    if (model->optimizer) {
        KPAR_TRY(kpar_optimizer_add_groups(lowering));
    }
    return KPAR_OK;
}

void kpar_lower_part(kpar_lowering *lowering, const char *part)
{
    lowering->part = part;
    lowering->layer_weights = 0;
}

/* What the layer's config says beside the initializer; NULL: nothing, or null. */
static const json_t *companion(kpar_lowering *lowering, const char *initializer, const char *kind)
{
    if (!initializer) return NULL;
    const char *name = kpar_layer_companion(lowering->arena, initializer, strlen(initializer), kind);
    const json_t *json = name ? json_object_get(lowering->layer->config, name) : NULL;
    return json_is_null(json) ? NULL : json;
}

/* The names of the layer and its part stand before that of the weight; those of what is around the layer do not. */
static const char *keras_path(const kpar_lowering *lowering, const char *weight)
{
    const kpar_layer *layer = lowering->layer;
    const char *group, *name;
    for (int i = 0; lowering->part && kpar_layer_part(lowering->arena, layer, i, &group, &name); i++)
        if (group && strcmp(group, lowering->part) == 0)
            return kpar_arena_printf(lowering->arena, "%s/%s/%s", layer->own_name, name, weight);
    return kpar_arena_printf(lowering->arena, "%s/%s", layer->own_name, weight);
}

kpar_status kpar_lower_weight(kpar_lowering *lowering, const kpar_weight *weight, kpar_value_id *value)
{
    const kpar_layer *layer = lowering->layer;
    const char *owner = kpar_arena_printf(lowering->arena, "%s: %s", lowering->owner, weight->name);
    kpar_variable variable = {
        .path = kpar_arena_printf(lowering->arena, "%s%s%s/vars/%d", layer->group, lowering->part ? "/" : "",
                                  lowering->part ? lowering->part : "", lowering->layer_weights++),
        .layer = layer->name,
        .name = weight->name,
        .keras_path = keras_path(lowering, weight->name),
        .kind = layer->trainable && !weight->frozen ? KPAR_VARIABLE_WEIGHT : KPAR_VARIABLE_FROZEN,
        .dtype = weight->whole ? KPAR_I64 : KPAR_F32,
        .rank = weight->rank,
        .layer_index = (int)(layer - lowering->model->layers),
        .of = -1,
    };
    for (int i = 0; i < weight->rank; i++) variable.dims[i] = weight->dims[i];
    for (int i = 0; i < 2; i++) variable.ones[i] = weight->ones[i];
    variable.regularizer = companion(lowering, weight->initializer, "regularizer");
    variable.constraint = companion(lowering, weight->initializer, "constraint");
    const json_t *initializer = json_object_get(layer->config, weight->initializer);
    KPAR_TRY(
        kpar_variable_set_initializer(owner, initializer, weight->by_default, lowering->seed, &variable));
    int index = kpar_catalog_add(lowering->catalog, &variable);
    const kpar_variable *known = &lowering->catalog->variables[index];
    for (int i = 0; i < weight->rank; i++)
        if (known->rank != weight->rank || known->dims[i] != weight->dims[i]) {
            char first[KPAR_SHAPE_TEXT], now[KPAR_SHAPE_TEXT];
            return kpar_fail(KPAR_EUNSUPPORTED,
                             "%s: its calls need %s of shapes %s and %s; give all calls inputs of one shape",
                             lowering->owner, weight->name, kpar_shape_text(first, known->rank, known->dims),
                             kpar_shape_text(now, weight->rank, weight->dims));
        }
    *value = kpar_lower_variable(lowering, index);
    return lowering->weight_rule ? lowering->weight_rule(lowering, index, value) : KPAR_OK;
}

/* kpar computes in float32: another policy would give another result. */
static kpar_status check_dtype(const kpar_lowering *lowering)
{
    const json_t *dtype = json_object_get(lowering->layer->config, "dtype");
    const char *name = json_string_value(
        json_is_object(dtype) ? json_object_get(json_object_get(dtype, "config"), "name") : dtype);
    if (!dtype || json_is_null(dtype) || (name && strcmp(name, "float32") == 0)) return KPAR_OK;
    return kpar_fail(KPAR_EUNSUPPORTED, "%s: argument 'dtype' is \"%s\"; only \"float32\" is supported",
                     lowering->owner, name ? name : "?");
}

kpar_status kpar_lower_check_layer(kpar_lowering *lowering)
{
    const kpar_layer *layer = lowering->layer;
    lowering->owner = kpar_arena_printf(lowering->arena, "%s: layer '%s' (%s)", lowering->model->file,
                                        layer->name, layer->class_name);
    if (!layer->row) {
        int n;
        const kpar_layer_row *rows = kpar_layer_rows(&n);
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: layers of this class are not supported; supported are: %s",
                         lowering->owner, kpar_table_names(lowering->arena, rows, n, sizeof *rows));
    }
    if (!kpar_has_word(layer->row->arguments, "dtype")) KPAR_TRY(check_dtype(lowering));
    return kpar_config_known(lowering->owner, layer->config,
                             kpar_layer_arguments(lowering->arena, layer->row), layer->row->defaults);
}

static kpar_status call_input(const kpar_lowering *lowering, kpar_tensor_ref ref, kpar_value_id *value,
                              kpar_value_id *mask)
{
    if (ref.call < 0 || ref.call >= lowering->call || ref.tensor < 0 || ref.tensor >= KPAR_CALL_OUTPUTS)
        return kpar_fail(KPAR_EINTERNAL, "%s: an input is output %d of call %d, which is not there yet",
                         lowering->owner, ref.tensor, ref.call);
    *value = kpar_lower_output(lowering, ref);
    *mask = kpar_lower_output_mask(lowering, ref);
    if (*value >= 0) return KPAR_OK;
    return kpar_fail(KPAR_EFORMAT, "%s: refers to output %d of layer '%s', which has no such output",
                     lowering->owner, ref.tensor,
                     lowering->model->layers[lowering->model->calls[ref.call].layer].name);
}

/* A mask that the call is given is that of its first input, a list of them those of all, whatever came with these. */
static kpar_status given_masks(kpar_lowering *lowering, const kpar_call *call, kpar_value_id *masks)
{
    const json_t *list = json_object_get(call->kwargs, "mask");
    const int n = json_is_array(list) ? call->n_inputs : call->n_inputs > 0;
    if (kpar_lower_named(lowering, "mask", 0) < 0) return KPAR_OK;
    for (int i = 0, number = 0; i < n; i++) {
        masks[i] = -1;
        if (json_is_array(list) && !json_is_object(json_array_get(list, (size_t)i))) continue;
        KPAR_TRY(kpar_lower_truth(lowering, kpar_lower_named(lowering, "mask", number++), &masks[i]));
    }
    return KPAR_OK;
}

static kpar_status call_inputs(kpar_lowering *lowering, const kpar_call *call, kpar_value_id *inputs,
                               kpar_value_id *masks)
{
    kpar_argument *named = kpar_arena_alloc(lowering->arena, ((size_t)call->n_named + 1) * sizeof *named);
    for (int i = 0; i < call->n_inputs; i++)
        KPAR_TRY(call_input(lowering, call->inputs[i], &inputs[i], &masks[i]));
    for (int i = 0; i < call->n_named; i++) {
        named[i].name = call->named[i].name;
        KPAR_TRY(call_input(lowering, call->named[i].tensor, &named[i].value, &named[i].mask));
    }
    lowering->masks = masks;
    lowering->named = named;
    lowering->n_named = call->n_named;
    return given_masks(lowering, call, masks);
}

kpar_status kpar_lower_channels_first(const kpar_lowering *lowering, bool *first)
{
    const char *format;
    KPAR_TRY(kpar_config_string(lowering->owner, lowering->layer->config, "data_format", "channels_last",
                                &format));
    *first = strcmp(format, "channels_first") == 0;
    if (*first || strcmp(format, "channels_last") == 0) return KPAR_OK;
    return kpar_fail(KPAR_EFORMAT,
                     "%s: argument 'data_format': expected channels_last or channels_first, found '%s'",
                     lowering->owner, format);
}

/* A layer of images is given them with their channels last. What is as many dimensions again are images too. */
static kpar_status lower_images(kpar_lowering *lowering, const kpar_value_id *inputs, int n_inputs,
                                kpar_value_id *output)
{
    bool first;
    kpar_value_id images = inputs[0];
    const int rank = kpar_lower_shape(lowering, images)->rank;
    KPAR_TRY(kpar_lower_channels_first(lowering, &first));
    if (first && rank > 2) KPAR_TRY(kpar_lower_move(lowering, 1, rank - 1, images, &images));
    KPAR_TRY(lowering->layer->row->lower(lowering, n_inputs == 1 ? &images : inputs, n_inputs, output));
    if (!first || rank <= 2 || kpar_lower_shape(lowering, *output)->rank != rank) return KPAR_OK;
    return kpar_lower_move(lowering, rank - 1, 1, *output, output);
}

kpar_status kpar_lower_layer(kpar_lowering *lowering, const kpar_value_id *inputs, int n_inputs,
                             kpar_value_id *outputs)
{
    const kpar_layer_row *row = lowering->layer->row;
    if (row->mixes_rows && n_inputs == 1 && kpar_lower_shape(lowering, inputs[0])->dims[0].size > 1)
        return kpar_lower_each_step(lowering, inputs[0], outputs);
    return (row->images ? lower_images : row->lower)(lowering, inputs, n_inputs, outputs);
}

static kpar_status lower_call(kpar_lowering *lowering, int index)
{
    const kpar_call *call = &lowering->model->calls[index];
    lowering->layer = &lowering->model->layers[call->layer];
    lowering->call = index;
    kpar_lower_part(lowering, NULL);
    lowering->graph->layer = lowering->layer->name;
    KPAR_TRY(kpar_lower_check_layer(lowering));
    const size_t room = ((size_t)call->n_inputs + 1) * sizeof(kpar_value_id);
    kpar_value_id *inputs = kpar_arena_alloc(lowering->arena, room);
    KPAR_TRY(call_inputs(lowering, call, inputs, kpar_arena_alloc(lowering->arena, room)));
    const kpar_layer_row *row = lowering->layer->row;
    kpar_value_id *outputs = &lowering->call_values[index * KPAR_CALL_OUTPUTS];
    KPAR_TRY(kpar_lower_layer(lowering, inputs, call->n_inputs, outputs));
    if (row->mask)
        KPAR_TRY(
            row->mask(lowering, inputs, call->n_inputs, &lowering->call_masks[index * KPAR_CALL_OUTPUTS]));
    const json_t *regularizer = json_object_get(lowering->layer->config, "activity_regularizer");
    for (int i = 0; i < KPAR_CALL_OUTPUTS && outputs[i] >= 0 && !row->parts_penalized; i++)
        KPAR_TRY(kpar_lower_activity_penalty(lowering, regularizer, outputs[i]));
    return KPAR_OK;
}

/* n times none. */
static kpar_value_id *no_values(const kpar_lowering *lowering, int n)
{
    kpar_value_id *values = kpar_arena_alloc(lowering->arena, ((size_t)n + 1) * sizeof *values);
    for (int i = 0; i < n; i++) values[i] = -1;
    return values;
}

static kpar_status lower_calls(kpar_lowering *lowering)
{
    const kpar_model *model = lowering->model;
    lowering->call_values = no_values(lowering, model->n_calls * KPAR_CALL_OUTPUTS);
    lowering->call_masks = no_values(lowering, model->n_calls * KPAR_CALL_OUTPUTS);
    lowering->call_logits = no_values(lowering, model->n_calls);
    for (int i = 0; i < model->n_calls; i++) KPAR_TRY(lower_call(lowering, i));
    lowering->layer = NULL;
    lowering->owner = model->file;
    lowering->graph->layer = "";
    return KPAR_OK;
}

static void list_weights(kpar_lowering *lowering)
{
    const int n = kpar_catalog_weights(lowering->catalog, NULL);
    lowering->n_weights = n;
    lowering->weights = kpar_arena_alloc(lowering->arena, ((size_t)n + 1) * sizeof(int));
    lowering->weight_copies = kpar_arena_alloc(lowering->arena, ((size_t)n + 1) * sizeof(kpar_value_id));
    kpar_catalog_weights(lowering->catalog, lowering->weights);
    for (int i = 0; i < n; i++)
        lowering->weight_copies[i] = kpar_lower_variable(lowering, lowering->weights[i]);
}

/* Without an update every weight stays as it is. */
static void keep_weights(kpar_lowering *lowering)
{
    for (int i = 0; i < lowering->catalog->n; i++) {
        const kpar_variable *variable = &lowering->catalog->variables[i];
        if (variable->kind != KPAR_VARIABLE_WEIGHT && variable->kind != KPAR_VARIABLE_FROZEN &&
            variable->kind != KPAR_VARIABLE_CONSTANT)
            continue;
        kpar_value_id value = kpar_lower_variable(lowering, i);
        kpar_graph_set_state(lowering->graph, value, value);
    }
}

/* Training computes outputs that have no loss, as Keras does: their weights lie where the other modes expect them. */
static void add_predictions(kpar_lowering *lowering)
{
    const kpar_model *model = lowering->model;
    for (int i = 0; i < model->n_outputs; i++) {
        if (lowering->mode == KPAR_MODE_TRAIN && model->losses && model->losses[i]) continue;
        kpar_graph_add_output(lowering->graph, KPAR_OUTPUT_PREDICTION, i,
                              kpar_lower_output(lowering, model->outputs[i].tensor));
    }
}

/* Messages of the graph know the layer; puts the file in front where it is missing. */
static kpar_status with_file(const kpar_lowering *lowering, kpar_status status)
{
    const char *file = lowering->model->file;
    if (status == KPAR_OK || strncmp(kpar_error_message(), file, strlen(file)) == 0) return status;
    return kpar_fail_in(status, "%s", file);
}

static kpar_status lower_forward(kpar_lowering *lowering)
{
    lowering->graph->phase = KPAR_PHASE_MICROBATCH;
    KPAR_TRY(add_groups(lowering));
    KPAR_TRY(lower_calls(lowering));
    list_weights(lowering);
    if (lowering->mode != KPAR_MODE_TRAIN) keep_weights(lowering);
    add_predictions(lowering);
    if (lowering->mode == KPAR_MODE_PREDICT) return KPAR_OK;
    KPAR_TRY(kpar_lower_losses(lowering));
    return kpar_lower_metrics(lowering);
}

kpar_status kpar_lower_forward(kpar_lowering *lowering)
{
    return with_file(lowering, lower_forward(lowering));
}
