/* Configs of before Keras 3, in today's form. */
#include "keras/legacy.h"

#include "keras/store.h"

#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 64 };

/* What the value of a key is of, where it is an object with a class: by the key, or by how it ends. */
static const struct {
    const char *key, *module;
} modules[] = {
    {"layers", "keras.layers"},
    {"layer", "keras.layers"},
    {"backward_layer", "keras.layers"},
    {"cell", "keras.layers"},
    {"cells", "keras.layers"},
    {"initializer", "keras.initializers"},
    {"regularizer", "keras.regularizers"},
    {"constraint", "keras.constraints"},
    {"optimizer", "keras.optimizers"},
    {"learning_rate", "keras.optimizers.schedules"},
    {"loss", "keras.losses"},
    {"metrics", "keras.metrics"},
};

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static const char *module_of(const char *key, const char *class_name)
{
    static const char *const models[] = {"Sequential", "Functional", "Model"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (strcmp(class_name, models[i]) == 0) return i == 0 ? "keras" : "keras.src.models.functional";
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++)
        if (ends_with(key, modules[i].key)) return modules[i].module;
    return NULL;
}

/* Says which class an object is of. Objects of today say it themselves. */
static void name_module(const char *key, json_t *object)
{
    const char *class_name = json_string_value(json_object_get(object, "class_name"));
    const char *module = class_name ? module_of(key, class_name) : NULL;
    if (!module || json_object_get(object, "module")) return;
    const bool functional = ends_with(module, "functional");
    json_object_set_new(object, "module", json_string(module));
    if (functional) json_object_set_new(object, "class_name", json_string("Functional"));
    json_object_set_new(object, "registered_name", functional ? json_string("Functional") : json_null());
}

/* Arguments that have another name today, or none: these were ways of computing the same. */
static void name_arguments(const json_t *object)
{
    static const char *const gone[] = {"decay", "is_legacy_optimizer", "time_major", "input_length"};
    json_t *config = json_object_get(object, "config"), *shape = json_object_get(config, "batch_input_shape"),
           *axis = json_object_get(config, "axis");
    const char *class_name = json_string_value(json_object_get(object, "class_name"));
    if (!json_is_object(config) || !class_name) return;
    if (shape && strcmp(class_name, "InputLayer") == 0) json_object_set(config, "batch_shape", shape);
    json_object_del(config, "batch_input_shape");
    if (strcmp(class_name, "BatchNormalization") == 0 && json_array_size(axis) == 1)
        json_object_set(config, "axis", json_array_get(axis, 0));
    const char *reduction = json_string_value(json_object_get(config, "reduction"));
    if (reduction && strcmp(reduction, "auto") == 0)
        json_object_set_new(config, "reduction", json_string("sum_over_batch_size"));
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        const json_t *value = json_object_get(config, gone[i]);
        if (strcmp(gone[i], "decay") == 0 && json_number_value(value) != 0)
            continue; /* it is refused by name */
        json_object_del(config, gone[i]);
    }
}

/* A Sequential whose first layer says what it is given gets an input. */
static void add_input(const json_t *object)
{
    const char *class_name = json_string_value(json_object_get(object, "class_name"));
    json_t *layers = json_object_get(json_object_get(object, "config"), "layers"),
           *first = json_array_get(layers, 0);
    json_t *config = json_object_get(first, "config"), *shape = json_object_get(config, "batch_input_shape");
    const char *layer_class = json_string_value(json_object_get(first, "class_name"));
    if (!class_name || strcmp(class_name, "Sequential") != 0 || !json_is_array(shape)) return;
    if (layer_class && strcmp(layer_class, "InputLayer") == 0) return;
    const bool numbers = layer_class && strcmp(layer_class, "Embedding") == 0;
    json_t *input = json_pack("{s:s, s:{s:O, s:s, s:s}}", "class_name", "InputLayer", "config", "batch_shape",
                              shape, "dtype", numbers ? "int32" : "float32", "name", "input_layer");
    json_array_insert_new(layers, 0, input);
}

static kpar_status modernize(const char *owner, const char *key, json_t *value, int depth)
{
    size_t i;
    const char *name;
    json_t *item;
    if (depth == DEEPEST) return kpar_fail(KPAR_EFORMAT, "%s: the config is nested too deeply", owner);
    if (json_is_object(value)) {
        add_input(value);
        name_module(key, value);
        name_arguments(value);
    }
    json_array_foreach(value, i, item) KPAR_TRY(modernize(owner, key, item, depth + 1));
    /* Values of a dict by output are of what the key outside says. */
    const bool by_output =
        (ends_with(key, "loss") || ends_with(key, "metrics")) && !json_object_get(value, "class_name");
    json_object_foreach(value, name, item)
        KPAR_TRY(modernize(owner, by_output ? key : name, item, depth + 1));
    return KPAR_OK;
}

kpar_status kpar_legacy_modernize(const char *owner, json_t *config)
{
    return modernize(owner, "", config, 0);
}

static kpar_status parse(const kpar_keras_file *file, const char *name, json_t **value)
{
    const char **texts;
    size_t n;
    json_error_t error;
    *value = NULL;
    KPAR_TRY(kpar_legacy_texts(file->arena, file->h5.id, file->path, name, &texts, &n));
    if (n == 0) return KPAR_OK;
    *value = json_loads(texts[0], 0, &error);
    if (json_is_object(*value)) return KPAR_OK;
    json_decref(*value);
    return kpar_fail(KPAR_EFORMAT, "%s: attribute %s is no JSON: line %d, column %d: %s", file->path, name,
                     error.line, error.column, error.text);
}

/* training_config, in the place where archives have compile_config. */
static kpar_status add_compile_config(const kpar_keras_file *file, json_t *root)
{
    json_t *training;
    KPAR_TRY(parse(file, "training_config", &training));
    if (!training) return KPAR_OK;
    json_object_set(training, "optimizer", json_object_get(training, "optimizer_config"));
    json_object_del(training, "optimizer_config");
    json_object_set_new(root, "compile_config", training);
    return KPAR_OK;
}

kpar_status kpar_legacy_open(kpar_keras_file *file)
{
    json_t *root;
    file->legacy = kpar_store_has(file->h5.id, "model_weights") ||
                   H5Aexists(file->h5.id, "layer_names") > 0 || H5Aexists(file->h5.id, "layer_names0") > 0;
    KPAR_TRY(parse(file, "model_config", &root));
    if (!root) return KPAR_OK;
    kpar_status status = add_compile_config(file, root);
    if (status == KPAR_OK) status = kpar_legacy_modernize(file->path, root);
    if (status == KPAR_OK) status = kpar_keras_set_config(file, root);
    json_decref(root);
    return status;
}
