/* The compile config that options change: --compile takes the place of the model's, --learning-rate that of its
 * optimizer's rate or schedule. */
#include "cli/job.h"

#include "model/tables.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static kpar_status load(const char *path, json_t **root)
{
    json_error_t error;
    *root = json_load_file(path, JSON_DECODE_ANY, &error);
    if (!*root)
        return kpar_fail(error.line < 0 ? KPAR_EIO : KPAR_EFORMAT, "%s: line %d: %s", path, error.line,
                         error.text);
    if (json_is_object(*root)) return KPAR_OK;
    json_decref(*root);
    return kpar_fail(KPAR_EFORMAT, "%s: expected a JSON object with optimizer, loss and metrics", path);
}

static kpar_status replace_compile_config(const kpar_settings *s, json_t *root)
{
    json_t *given;
    if (!s->compile) return KPAR_OK;
    KPAR_TRY(load(s->compile, &given));
    json_t *inner = json_object_get(given, "compile_config"); /* a whole config.json serves too */
    json_object_set(root, "compile_config", inner ? inner : given);
    json_decref(given);
    return KPAR_OK;
}

/* "sgd" as the object that Keras writes for it. */
static json_t *spell_out(const char *name)
{
    int n;
    const kpar_optimizer_row *rows = kpar_optimizer_rows(&n);
    const kpar_optimizer_row *row = kpar_table_find(rows, n, sizeof *rows, name);
    return json_pack("{ss ss s{} sn}", "module", "keras.optimizers", "class_name",
                     row ? row->class_name : name, "config", "registered_name");
}

static kpar_status set_learning_rate(const kpar_settings *s, json_t *root)
{
    json_t *compile = json_object_get(root, "compile_config"),
           *optimizer = json_object_get(compile, "optimizer");
    if (isnan(s->learning_rate)) return KPAR_OK;
    if (!optimizer && json_object_size(compile) > 0) {
        json_object_set_new(compile, "optimizer", json_string(KPAR_PRESET_OPTIMIZER));
        optimizer = json_object_get(compile, "optimizer");
    }
    if (!optimizer || json_is_null(optimizer))
        return kpar_fail(KPAR_EUSAGE, "--learning-rate: %s has no optimizer; give one with --compile",
                         s->model);
    if (json_is_string(optimizer)) {
        json_object_set_new(compile, "optimizer", spell_out(json_string_value(optimizer)));
        optimizer = json_object_get(compile, "optimizer");
    }
    json_t *config = json_object_get(optimizer, "config"),
           *inner = json_object_get(json_object_get(config, "inner_optimizer"), "config");
    if (inner) config = inner;
    if (json_is_object(config) &&
        json_object_set_new(config, "learning_rate", json_real(s->learning_rate)) == 0)
        return KPAR_OK;
    return kpar_fail(KPAR_EFORMAT, "%s: compile_config: optimizer: expected an object with a config",
                     s->model);
}

static kpar_status change(const kpar_settings *s, json_t *root)
{
    KPAR_TRY(replace_compile_config(s, root));
    return set_learning_rate(s, root);
}

static kpar_status parse_model(const char *path, json_t **root)
{
    kpar_keras_file *file;
    json_error_t error;
    size_t length;
    KPAR_TRY(kpar_keras_open(path, &file));
    const char *text = kpar_keras_config(file, &length);
    *root = json_loadb(text, length, 0, &error);
    kpar_keras_close(file);
    return json_is_object(*root)
               ? KPAR_OK
               : kpar_fail(KPAR_EFORMAT, "%s: config.json: line %d: %s", path, error.line, error.text);
}

kpar_status kpar_config_override(kpar_arena *arena, const kpar_settings *s, const char **config)
{
    json_t *root = NULL;
    *config = NULL;
    if (!s->compile && isnan(s->learning_rate)) return KPAR_OK;
    kpar_status status = parse_model(s->model, &root);
    if (status == KPAR_OK) status = change(s, root);
    if (status == KPAR_OK) {
        char *text = json_dumps(root, 0);
        *config = kpar_arena_strdup(arena, text ? text : "");
        free(text);
    }
    json_decref(root);
    return status;
}
