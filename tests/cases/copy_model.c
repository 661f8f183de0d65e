/* copy_model IN.keras OUT.keras: reads every weight of a model and all of its optimizer's state, slice by
 * slice, and writes them again, for round_trip.py. The catalog is made from the file itself, so that any
 * optimizer will do. */
#include "keras/file.h"
#include "keras/store.h"

#include <stdio.h>
#include <string.h>

static kpar_status add_variable(kpar_catalog *catalog, kpar_keras_file *file, const char *path)
{
    /* What members of the optimizer have stands there once more, and is not counted. */
    bool optimizers = strncmp(path, "optimizer/vars/", 15) == 0;
    kpar_stored dataset;
    KPAR_TRY(kpar_stored_open(file->h5.id, file->path, path, &dataset));
    kpar_variable variable = {.path = path, .layer = "", .name = "", .rank = dataset.rank, .of = -1};
    variable.kind = optimizers ? KPAR_VARIABLE_SLOT : KPAR_VARIABLE_WEIGHT;
    variable.dtype = dataset.kind == H5T_INTEGER ? KPAR_I64 : KPAR_F32;
    memcpy(variable.dims, dataset.dims, sizeof variable.dims);
    kpar_stored_close(&dataset);
    kpar_catalog_add(catalog, &variable);
    return KPAR_OK;
}

static void add_groups(kpar_catalog *catalog, const kpar_model *model)
{
    const json_t *optimizer =
        model->loss_scaling ? model->loss_scaling : json_object_get(model->optimizer, "config");
    const char *name = json_string_value(json_object_get(optimizer, "name"));
    kpar_catalog_add_group(catalog, "", model->name);
    for (int i = 0; i < model->n_layers; i++) kpar_catalog_add_layer(catalog, &model->layers[i]);
    if (name) kpar_catalog_add_group(catalog, "optimizer", name);
}

/* The group of a member of the optimizer has the name that it has in the file. */
static void add_member(kpar_catalog *catalog, kpar_keras_file *file, const char *path)
{
    const char *vars = strstr(path, "/vars/");
    if (strncmp(path, "optimizer/", 10) != 0 || !vars || vars < path + 10) return;
    const char *group = kpar_arena_printf(catalog->arena, "%.*s", (int)(vars - path), path);
    const char *with_name = kpar_arena_printf(catalog->arena, "%s/vars", group);
    const hid_t attribute = H5Aopen_by_name(file->h5.id, with_name, "name", H5P_DEFAULT, H5P_DEFAULT);
    const hid_t type = H5Aget_type(attribute);
    char *name = NULL;
    if (H5Aread(attribute, type, &name) >= 0) kpar_catalog_add_group(catalog, group, name);
    H5free_memory(name);
    H5Tclose(type);
    H5Aclose(attribute);
}

static kpar_status fill_catalog(kpar_catalog *catalog, kpar_keras_file *file, const kpar_model *model)
{
    kpar_text paths = {0};
    add_groups(catalog, model);
    KPAR_TRY(kpar_keras_open_weights(file));
    KPAR_TRY(kpar_store_list(file->h5.id, file->path, &paths));
    kpar_status status = KPAR_OK;
    char *cursor = paths.bytes;
    for (char *line; status == KPAR_OK && (line = kpar_next_line(&cursor));) {
        add_member(catalog, file, line);
        status = add_variable(catalog, file, line);
    }
    kpar_text_clear(&paths);
    return status;
}

typedef struct source {
    kpar_keras_file *file;
    kpar_catalog *catalog;
} source;

static kpar_status fetch(void *context, int variable, const kpar_slice *slice, void *values)
{
    const source *from = context;
    return kpar_keras_read(from->file, &from->catalog->variables[variable], slice, values);
}

static kpar_status copy(kpar_keras_file *file, const char *target)
{
    size_t length;
    const char *config = kpar_keras_config(file, &length);
    kpar_model *model;
    bool has_optimizer;
    KPAR_TRY(kpar_keras_describe(file->path, config, length, &model));
    source from = {file, kpar_catalog_create()};
    kpar_status status = fill_catalog(from.catalog, file, model);
    if (status == KPAR_OK) status = kpar_keras_check_weights(file, from.catalog, &has_optimizer);
    if (status == KPAR_OK)
        status = kpar_keras_save(target, config, length, from.catalog, has_optimizer, fetch, &from);
    kpar_catalog_destroy(from.catalog);
    kpar_model_destroy(model);
    return status;
}

int main(int argc, char **argv)
{
    kpar_keras_file *file;
    if (argc != 3) return fprintf(stderr, "usage: copy_model IN.keras OUT.keras\n"), 2;
    kpar_status status = kpar_keras_open(argv[1], &file);
    if (status == KPAR_OK) {
        status = copy(file, argv[2]);
        kpar_keras_close(file);
    }
    if (status != KPAR_OK) fprintf(stderr, "copy_model: %s\n", kpar_error_message());
    return status != KPAR_OK;
}
