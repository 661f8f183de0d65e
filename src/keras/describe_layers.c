/* The layers of a model: what they are, where their weights are, and whether kpar can train them. */
#include "keras/describe.h"

#include "model/config.h"
#include "model/tables.h"

#include <stdio.h>
#include <string.h>

const char *kpar_layer_owner(const kpar_description *d, const kpar_layer *layer)
{
    return kpar_arena_printf(d->model->arena, "%s: layer '%s' (%s)", d->file, layer->name, layer->class_name);
}

/* Names of the layers, or the operations, that there are. */
static const char *supported(const kpar_description *d, bool operations)
{
    int n;
    if (operations) return kpar_operation_names(d->model->arena);
    const kpar_layer_row *rows = kpar_layer_rows(&n);
    return kpar_table_names(d->model->arena, rows, n, sizeof *rows);
}

static bool starts_with(const char *text, const char *start)
{
    return text && strncmp(text, start, strlen(start)) == 0;
}

/* Python code in the place of a layer. */
static kpar_status refuse_foreign(const kpar_description *d, const kpar_layer *layer, const json_t *object)
{
    const char *module = json_string_value(json_object_get(object, "module"));
    const char *registered = json_string_value(json_object_get(object, "registered_name"));
    const char *owner = kpar_layer_owner(d, layer);
    if (strcmp(layer->class_name, "Lambda") == 0)
        return kpar_fail(
            KPAR_EUNSUPPORTED,
            "%s: Lambda layers hold Python code, which is never run; use built-in layers instead, such as "
            "Rescaling, Activation, Reshape, Add or Multiply",
            owner);
    if ((registered && strchr(registered, '>')) || (module && !starts_with(module, "keras")))
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: a class of one's own is Python code, which is never run; supported layers: %s",
                         owner, supported(d, false));
    return KPAR_OK;
}

/* Everything computes in float32; rows that have an argument for it know other types. */
static kpar_status check_dtype(const kpar_description *d, const kpar_layer *layer)
{
    const json_t *dtype = json_object_get(layer->config, "dtype");
    const char *name = json_string_value(dtype);
    if (!name) name = json_string_value(json_object_get(json_object_get(dtype, "config"), "name"));
    if (!dtype || json_is_null(dtype) || (name && strcmp(name, "float32") == 0)) return KPAR_OK;
    if (name && kpar_has_word(layer->row->arguments, "dtype")) return KPAR_OK;
    return kpar_fail(KPAR_EUNSUPPORTED, "%s: dtype policy '%s' is not supported; supported: float32",
                     kpar_layer_owner(d, layer), name ? name : "of several types");
}

kpar_status kpar_describe_layer(const kpar_description *d, kpar_layer *layer, const json_t *object)
{
    KPAR_TRY(refuse_foreign(d, layer, object));
    const char *owner = kpar_layer_owner(d, layer);
    layer->row = kpar_layer_row_find(layer->class_name, layer->is_operation);
    if (!layer->row)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: this %s is not supported; supported: %s", owner,
                         layer->is_operation ? "operation" : "layer", supported(d, layer->is_operation));
    KPAR_TRY(check_dtype(d, layer));
    return kpar_config_known(owner, layer->config, kpar_layer_arguments(d->model->arena, layer->row),
                             layer->row->defaults);
}

/* The class in Python, after which Keras names groups: of one class it is not the name in the API. */
static const char *python_class(const char *class_name)
{
    return strcmp(class_name, "GroupQueryAttention") == 0 ? "GroupedQueryAttention" : class_name;
}

/* Keras numbers the layers of a class within their model: dense, dense_1, ... whatever their names are. Models in place of
 * layers are numbered likewise. */
static const char *group_path(const kpar_description *d, const kpar_scope *scope, const char *class_name)
{
    char snake[256], other[256];
    int before = 0;
    kpar_snake_case(python_class(class_name), snake, sizeof snake);
    for (size_t i = 0; i < scope->n_members; i++) {
        const kpar_layer *layer = &d->layers[scope->members[i].layer];
        kpar_snake_case(python_class(layer->class_name), other, sizeof other);
        before += !layer->is_operation && strcmp(snake, other) == 0;
    }
    return before ? kpar_arena_printf(d->model->arena, "%s/%s_%d", scope->group, snake, before)
                  : kpar_arena_printf(d->model->arena, "%s/%s", scope->group, snake);
}

bool kpar_is_model(const json_t *config) { return json_is_array(json_object_get(config, "layers")); }

kpar_status kpar_describe_model(kpar_description *d, const json_t *object, kpar_scope **model)
{
    kpar_arena *arena = d->model->arena;
    const kpar_layer layer = d->layers[d->n_layers - 1];
    kpar_scope scope = {
        .config = layer.config,
        .group = kpar_arena_printf(arena, "%s/layers", layer.group),
        .prefix = kpar_arena_printf(arena, "%s/", layer.name),
        .trainable = layer.trainable,
    };
    KPAR_TRY(refuse_foreign(d, &layer, object));
    KPAR_TRY(kpar_describe_class(kpar_layer_owner(d, &layer), object, &scope.sequential));
    KPAR_TRY(kpar_describe_layers(d, &scope));
    *model = kpar_arena_copy(arena, &scope, sizeof scope);
    return KPAR_OK;
}

static kpar_status read_member(kpar_description *d, kpar_scope *scope, const json_t *object)
{
    kpar_layer layer = {
        .class_name = json_string_value(json_object_get(object, "class_name")),
        .config = json_object_get(object, "config"),
    };
    layer.own_name = json_string_value(json_object_get(layer.config, "name"));
    if (!layer.own_name) layer.own_name = json_string_value(json_object_get(object, "name"));
    if (!layer.class_name || !layer.own_name || !json_is_object(layer.config))
        return kpar_fail(KPAR_EFORMAT, "%s: layer %zu: expected a class_name and a config with a name",
                         d->file, scope->n_members + 1);
    layer.is_operation = starts_with(json_string_value(json_object_get(object, "module")), "keras.src.ops");
    layer.name = kpar_arena_printf(d->model->arena, "%s%s", scope->prefix, layer.own_name);
    layer.trainable = scope->trainable && !json_is_false(json_object_get(layer.config, "trainable"));
    const bool is_model = kpar_is_model(layer.config),
               groupless =
                   layer.is_operation || (scope->sequential && strcmp(layer.class_name, "InputLayer") == 0);
    if (!groupless) layer.group = group_path(d, scope, layer.class_name);
    if (!is_model) KPAR_TRY(kpar_describe_layer(d, &layer, object));
    kpar_member member = {.object = object, .name = layer.own_name, .layer = d->n_layers};
    KPAR_PUSH(d->layers, d->n_layers, d->layers_capacity) = layer;
    KPAR_TRY(is_model ? kpar_describe_model(d, object, &member.model)
                      : kpar_describe_inner(d, d->n_layers - 1));
    scope->members[scope->n_members++] = member;
    return KPAR_OK;
}

kpar_status kpar_describe_layers(kpar_description *d, kpar_scope *scope)
{
    const json_t *layers = json_object_get(scope->config, "layers");
    size_t i;
    const json_t *object;
    if (json_array_size(layers) == 0) return kpar_fail(KPAR_EFORMAT, "%s: the model has no layers", d->file);
    scope->members = kpar_arena_alloc(d->model->arena, json_array_size(layers) * sizeof *scope->members);
    json_array_foreach(layers, i, object) KPAR_TRY(read_member(d, scope, object));
    return KPAR_OK;
}
