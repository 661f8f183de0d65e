/* Small models for unit tests of lowering: described in JSON, lowered, evaluated. */
#ifndef KPAR_TESTS_MODEL_FIXTURE_H
#define KPAR_TESTS_MODEL_FIXTURE_H

#include "graph/pass.h"
#include "graph_evaluate.h"
#include "model/tables.h"
#include "unit.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define INPUT(shape)                                                                                         \
    "{\"class_name\": \"InputLayer\", \"config\": {\"batch_shape\": [null, " shape "], \"name\": \"in\"}}"
#define LAYER(name, config, from)                                                                            \
    ", {\"class_name\": \"" name "\", \"config\": " config ", \"from\": [" from "]}"
#define ADAM "\"optimizer\": \"adam\""

static inline void add_layer(kpar_model *m, size_t call, const json_t *item)
{
    const char *class_name = json_string_value(json_object_get(item, "class_name"));
    const json_t *config = json_object_get(item, "config");
    const char *name = json_string_value(json_object_get(config, "name"));
    name = name ? name : kpar_arena_printf(m->arena, "layer_%zu", call);
    const bool groupless =
        json_object_get(m->root, "class_name") && strcmp(class_name, "InputLayer") == 0; /* of a Sequential */
    m->layers[m->n_layers - 1] = (kpar_layer){
        .class_name = class_name,
        .name = name,
        .own_name = name,
        .config = config,
        .group = groupless ? NULL : kpar_arena_printf(m->arena, "layers/%s", name),
        .trainable = !json_is_false(json_object_get(config, "trainable")),
        .is_operation = json_object_get(item, "args") != NULL,
        .row = kpar_layer_row_find(class_name, json_object_get(item, "args") != NULL),
        .argument = json_string_value(json_object_get(item, "argument")),
    };
    if (m->layers[m->n_layers - 1].argument) {
        m->layers[m->n_layers - 1].around = m->calls[call - 1].layer + 1;
        return;
    }
    m->calls[call].args = json_object_get(item, "args");
    if (strcmp(class_name, "InputLayer") == 0) m->inputs[m->n_inputs++] = (kpar_port){name, {(int)call, 0}};
}

static inline void add_inputs(kpar_model *m, size_t index, const json_t *from)
{
    kpar_call *call = &m->calls[index];
    call->n_inputs = (int)json_array_size(from);
    call->inputs = kpar_arena_alloc(m->arena, (size_t)(call->n_inputs + 1) * sizeof *call->inputs);
    for (int k = 0; k < call->n_inputs; k++)
        call->inputs[k].call = (int)json_integer_value(json_array_get(from, (size_t)k));
}

/* {argument: call ...} */
static inline void add_named(kpar_model *m, size_t index, const json_t *named)
{
    kpar_call *call = &m->calls[index];
    const char *name;
    json_t *from;
    call->named = kpar_arena_alloc(m->arena, (json_object_size(named) + 1) * sizeof *call->named);
    json_object_foreach((json_t *)(uintptr_t)named, name, from) call->named[call->n_named++] =
        (kpar_named_input){name, {(int)json_integer_value(from), 0}};
}

/* {"layers": [{"class_name", "config", "from": [call ...], "named": {argument: call}, "args" of an operation} or {"again": call, "from"} for another call of its layer, or {"class_name", "config",
 *  "argument"} for a layer within the one before ...],
 *  "outputs": [call ...], "optimizer", and a list with an entry an output of "losses", "loss_weights", "metrics", "weighted_metrics"} */
static inline kpar_model *model_from(json_t *root)
{
    kpar_arena *arena = kpar_arena_create();
    kpar_model *m = kpar_arena_alloc(arena, sizeof *m);
    const json_t *layers = json_object_get(root, "layers"), *outputs = json_object_get(root, "outputs");
    const size_t n = json_array_size(layers), n_outputs = json_array_size(outputs);
    *m = (kpar_model){.arena = arena, .root = root, .file = "m.keras", .name = "m"};
    m->layers = kpar_arena_alloc(arena, n * sizeof *m->layers);
    m->calls = kpar_arena_alloc(arena, n * sizeof *m->calls);
    m->inputs = kpar_arena_alloc(arena, n * sizeof *m->inputs);
    m->outputs = kpar_arena_alloc(arena, n_outputs * sizeof *m->outputs);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(layers, i), *again = json_object_get(item, "again");
        const size_t call = (size_t)m->n_calls;
        const int layer = again ? m->calls[json_integer_value(again)].layer : m->n_layers++;
        if (!again) add_layer(m, call, item);
        if (json_object_get(item, "argument")) continue;
        m->calls[call].layer = layer;
        m->calls[call].number = again ? 1 : 0;
        add_inputs(m, call, json_object_get(item, "from"));
        add_named(m, call, json_object_get(item, "named"));
        m->n_calls++;
    }
    m->optimizer = json_object_get(root, "optimizer");
    m->losses = kpar_arena_alloc(arena, (n_outputs + 1) * sizeof *m->losses);
    m->metrics = kpar_arena_alloc(arena, (n_outputs + 1) * sizeof *m->metrics);
    m->weighted_metrics = kpar_arena_alloc(arena, (n_outputs + 1) * sizeof *m->weighted_metrics);
    m->loss_weights = kpar_arena_alloc(arena, (n_outputs + 1) * sizeof *m->loss_weights);
    for (size_t i = 0; i < n_outputs; i++) {
        const int call = (int)json_integer_value(json_array_get(outputs, i));
        const json_t *weight = json_array_get(json_object_get(root, "loss_weights"), i);
        m->outputs[m->n_outputs++] = (kpar_port){m->layers[m->calls[call].layer].name, {call, 0}};
        m->losses[i] = json_array_get(json_object_get(root, "losses"), i);
        m->metrics[i] = json_array_get(json_object_get(root, "metrics"), i);
        m->weighted_metrics[i] = json_array_get(json_object_get(root, "weighted_metrics"), i);
        m->loss_weights[i] = weight ? json_number_value(weight) : 1;
    }
    return m;
}

/* A model, lowered; and, with `gradients`, differentiated and updated. */
typedef struct lowered {
    kpar_model *model;
    kpar_catalog *catalog;
    kpar_graph *graph;
    kpar_lowering lowering;
    kpar_value_id *gradients;
    kpar_status status;
} lowered;

static inline kpar_status lower_all(lowered *l)
{
    KPAR_TRY(kpar_lower_forward(&l->lowering));
    if (l->lowering.mode == KPAR_MODE_TRAIN) {
        l->gradients = calloc((size_t)l->lowering.n_weights + 1, sizeof *l->gradients);
        KPAR_TRY(kpar_graph_gradient(l->graph, l->lowering.loss, l->lowering.weight_copies,
                                     l->lowering.n_weights, l->gradients));
        KPAR_TRY(kpar_lower_update(&l->lowering, l->gradients));
    }
    return kpar_graph_check(l->graph);
}

static inline lowered lower_text(const char *text, kpar_mode mode)
{
    json_error_t error;
    json_t *root = json_loads(text, 0, &error);
    ck_assert_msg(root != NULL, "%s in %s", error.text, text);
    lowered l = {
        .model = model_from(root), .catalog = kpar_catalog_create(), .graph = kpar_graph_create(KPAR_F64)};
    kpar_lower_begin(&l.lowering, l.graph, l.catalog, l.model, mode, 7);
    l.status = lower_all(&l);
    return l;
}

static inline lowered lower_ok(const char *text, kpar_mode mode)
{
    lowered l = lower_text(text, mode);
    ck_assert_msg(l.status == KPAR_OK, "%s", kpar_error_message());
    return l;
}

static inline void lowered_free(lowered *l)
{
    kpar_lower_end(&l->lowering);
    free(l->gradients);
    kpar_graph_destroy(l->graph);
    kpar_catalog_destroy(l->catalog);
    kpar_model_destroy(l->model);
}

/* That lowering is refused with a message that has all of `words` (separated by '|'). */
static inline void assert_refused(const char *text, kpar_mode mode, kpar_status status, const char *words)
{
    lowered l = lower_text(text, mode);
    char copy[256];
    ck_assert_msg(l.status == status, "%s: %s", kpar_status_name(l.status), kpar_error_message());
    snprintf(copy, sizeof copy, "%s", words);
    for (char *word = strtok(copy, "|"); word; word = strtok(NULL, "|"))
        ck_assert_msg(strstr(kpar_error_message(), word) != NULL, "'%s' is not in: %s", word,
                      kpar_error_message());
    lowered_free(&l);
}

static inline kpar_value_id report_value(const lowered *l, int number)
{
    for (size_t i = 0; i < l->graph->n_outputs; i++)
        if (l->graph->outputs[i].kind == KPAR_OUTPUT_REPORT && l->graph->outputs[i].index == number)
            return l->graph->outputs[i].value;
    ck_abort_msg("no report output %d", number);
}

static inline const kpar_report_entry *report(const lowered *l, const char *name)
{
    for (int i = 0; i < l->lowering.n_reports; i++)
        if (strcmp(l->lowering.reports[i].name, name) == 0) return &l->lowering.reports[i];
    ck_abort_msg("no report '%s'", name);
}

static inline double reported(const lowered *l, const evaluation *e, const char *name)
{
    const kpar_report_entry *entry = report(l, name);
    double value = e->values[report_value(l, entry->value)][0];
    return entry->weight < 0 ? value : value / e->values[report_value(l, entry->weight)][0];
}

static inline kpar_value_id prediction(const lowered *l, int index)
{
    for (size_t i = 0; i < l->graph->n_outputs; i++)
        if (l->graph->outputs[i].kind == KPAR_OUTPUT_PREDICTION && l->graph->outputs[i].index == index)
            return l->graph->outputs[i].value;
    ck_abort_msg("no prediction %d", index);
}

/* What the step makes of the variable at `path`; `before`: its value before. */
static inline kpar_value_id state_of(const lowered *l, const char *path, kpar_value_id *before)
{
    const int variable = kpar_catalog_find(l->catalog, path);
    ck_assert_msg(variable >= 0, "no variable %s", path);
    for (size_t i = 0; i < l->graph->n_states; i++)
        if (l->graph->states[i].variable == variable) {
            if (before) *before = l->graph->states[i].value;
            return l->graph->states[i].next;
        }
    ck_abort_msg("no state of %s", path);
}

/* A catalog that has `path` or not. */
static inline const kpar_variable *variable(const lowered *l, const char *path)
{
    const int index = kpar_catalog_find(l->catalog, path);
    return index < 0 ? NULL : &l->catalog->variables[index];
}

static inline void assert_near(double found, double expected, double tolerance, const char *what)
{
    if (isnan(expected) ? isnan(found) : fabs(found - expected) <= tolerance * (1 + fabs(expected))) return;
    ck_abort_msg("%s: expected %.9g, found %.9g", what, expected, found);
}

/* What the sources of a graph hold; variables that are not given have made-up values. */
typedef struct feed {
    const lowered *l;
    const double *features, *labels, *more_labels, *weights, *mask, *gradient;
    double variables[16][8]; /* by catalog index */
    bool given[16];
} feed;

static inline void fill(void *context, const kpar_value *v, double *elements, int64_t count)
{
    const feed *f = context;
    for (int64_t i = 0; i < count; i++) {
        switch (v->source) {
        case KPAR_FROM_VARIABLE:
            if (f->l->catalog->variables[v->index].kind == KPAR_VARIABLE_CONSTANT)
                elements[i] = f->l->catalog->variables[v->index].values[i];
            else
                elements[i] =
                    f->given[v->index] ? f->variables[v->index][i] : sin(v->index * 31.0 + (double)i);
            break;
        case KPAR_FROM_FEATURE:
            elements[i] = v->index == 9 ? f->gradient[i] : f->features[i];
            break;
        case KPAR_FROM_LABEL:
            elements[i] = v->index ? f->more_labels[i] : f->labels[i];
            break;
        case KPAR_FROM_SAMPLE_WEIGHT:
            elements[i] = f->weights ? f->weights[i] : 1;
            break;
        case KPAR_FROM_ROW_POSITION:
            elements[i] = (double)i;
            break;
        case KPAR_FROM_ROW_MASK:
            elements[i] = f->mask ? f->mask[i] : 1;
            break;
        default:
            elements[i] = 0;
        }
    }
}

static inline evaluation run(feed *f, int64_t batch)
{
    evaluation e = {.graph = f->l->graph, .batch = batch, .source = fill, .context = f};
    evaluate(&e);
    return e;
}

#endif
