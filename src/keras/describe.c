/* config.json to model: the root, which is a Sequential or a Functional, and its layers' calls. */
#include "keras/describe.h"
#include "keras/keras.h"

#include <string.h>

static bool is_class(const json_t *object, const char *name)
{
    const char *class_name = json_string_value(json_object_get(object, "class_name"));
    return class_name && strcmp(class_name, name) == 0;
}

static kpar_status describe_root(kpar_description *d)
{
    const json_t *root = d->model->root, *config = json_object_get(root, "config");
    const char *class_name = json_string_value(json_object_get(root, "class_name"));
    bool sequential = is_class(root, "Sequential"),
         functional = is_class(root, "Functional") || is_class(root, "Model");
    if (!json_is_object(config) || !class_name)
        return kpar_fail(KPAR_EFORMAT, "%s: expected a model's class_name and config, found neither",
                         d->file);
    if (!sequential && (!functional || !json_object_get(config, "layers")))
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: model class '%s' is not supported; supported: Sequential, Functional", d->file,
                         class_name);
    const char *name = json_string_value(json_object_get(config, "name"));
    d->model->name = name ? name : "model";
    kpar_scope scope = {.config = config,
                        .group = "layers",
                        .trainable = !json_is_false(json_object_get(config, "trainable"))};
    KPAR_TRY(kpar_describe_layers(d, &scope));
    return sequential ? kpar_describe_chain(d, &scope) : kpar_describe_graph(d, &scope);
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
