/* config.json to model: the root, which is a Sequential or a Functional, and its layers' calls. */
#include "keras/describe.h"
#include "keras/keras.h"

#include <string.h>

static bool is_class(const json_t *object, const char *name)
{
    const char *class_name = json_string_value(json_object_get(object, "class_name"));
    return class_name && strcmp(class_name, name) == 0;
}

kpar_status kpar_describe_class(const char *owner, const json_t *object, bool *sequential)
{
    const json_t *config = json_object_get(object, "config");
    const char *class_name = json_string_value(json_object_get(object, "class_name"));
    const bool functional = is_class(object, "Functional") || is_class(object, "Model");
    *sequential = is_class(object, "Sequential");
    if (!json_is_object(config) || !class_name)
        return kpar_fail(KPAR_EFORMAT, "%s: expected a model's class_name and config, found neither", owner);
    if (*sequential || (functional && json_object_get(config, "layers"))) return KPAR_OK;
    return kpar_fail(KPAR_EUNSUPPORTED,
                     "%s: model class '%s' is not supported; supported: Sequential, Functional", owner,
                     class_name);
}

static kpar_status describe_root(kpar_description *d)
{
    kpar_model *model = d->model;
    kpar_scope scope = {.config = json_object_get(model->root, "config"), .group = "layers", .prefix = ""};
    KPAR_TRY(kpar_describe_class(d->file, model->root, &scope.sequential));
    const char *name = json_string_value(json_object_get(scope.config, "name"));
    model->name = name ? name : "model";
    scope.trainable = !json_is_false(json_object_get(scope.config, "trainable"));
    KPAR_TRY(kpar_describe_layers(d, &scope));
    kpar_expansion whole = {.given = NULL};
    KPAR_TRY(kpar_describe_calls(d, &scope, &whole));
    model->inputs = whole.inputs;
    model->outputs = whole.outputs;
    model->n_inputs = whole.n_inputs;
    model->n_outputs = whole.n_outputs;
    return KPAR_OK;
}

static void move_into_model(kpar_description *d)
{
    kpar_model *model = d->model;
    model->layers = kpar_arena_copy(model->arena, d->layers, d->n_layers * sizeof *d->layers);
    model->calls = kpar_arena_copy(model->arena, d->calls, d->n_calls * sizeof *d->calls);
    model->n_layers = (int)d->n_layers;
    model->n_calls = (int)d->n_calls;
    kpar_free(d->layers);
    kpar_free(d->calls);
    kpar_free(d->wrapped);
}

static kpar_status parse(kpar_model *model, const char *config, size_t length)
{
    json_error_t error;
    model->root = json_loadb(config, length, 0, &error);
    if (!model->root)
        return kpar_fail(KPAR_EFORMAT, "%s: the config is no JSON: line %d, column %d: %s", model->file,
                         error.line, error.column, error.text);
    return KPAR_OK;
}

kpar_status kpar_keras_describe(const char *name, const char *config, size_t length, kpar_model **model)
{
    kpar_arena *arena = kpar_arena_create();
    kpar_model *made = kpar_arena_alloc(arena, sizeof *made);
    made->arena = arena;
    made->file = kpar_arena_strdup(arena, name);
    kpar_description d = {.model = made, .file = made->file};
    kpar_status status = parse(made, config, length);
    if (status == KPAR_OK) status = describe_root(&d);
    if (status == KPAR_OK) status = kpar_describe_compile(&d, json_object_get(made->root, "compile_config"));
    move_into_model(&d);
    *model = status == KPAR_OK ? made : NULL;
    if (status != KPAR_OK) kpar_model_destroy(made);
    return status;
}
