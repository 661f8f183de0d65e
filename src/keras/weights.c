/* Weights and optimizer state of an open file: checked against the catalog, read in slices. */
#include "keras/file.h"
#include "keras/legacy.h"
#include "keras/store.h"

#include "base/log.h"

#include <string.h>

static bool same_shape(const kpar_variable *variable, const kpar_stored *dataset)
{
    size_t bytes = (size_t)variable->rank * sizeof *variable->dims;
    return variable->rank == dataset->rank && memcmp(variable->dims, dataset->dims, bytes) == 0;
}

/* The path of a variable's dataset. */
static const char *dataset_of(const kpar_keras_file *file, const kpar_variable *variable)
{
    const int number = file->legacy ? kpar_names_find(&file->paths, variable->path) : -1;
    return number >= 0 ? file->datasets[number] : variable->path;
}

static kpar_status check_variable(kpar_keras_file *file, const kpar_variable *variable)
{
    kpar_stored dataset;
    char expected[KPAR_SHAPE_TEXT], found[KPAR_SHAPE_TEXT];
    const char *path = dataset_of(file, variable);
    if (!kpar_store_has(file->h5.id, path))
        return kpar_fail(KPAR_EFORMAT,
                         "%s: %s is missing (%s of layer '%s'); the weights are of another model or damaged",
                         file->path, path, variable->name, variable->layer);
    KPAR_TRY(kpar_stored_open(file->h5.id, file->path, path, &dataset));
    bool same = same_shape(variable, &dataset);
    kpar_shape_text(found, dataset.rank, dataset.dims);
    kpar_stored_close(&dataset);
    if (same) return KPAR_OK;
    return kpar_fail(
        KPAR_EFORMAT,
        "%s: %s (%s of layer '%s'): expected shape %s, found %s; the weights are of another model",
        file->path, path, variable->name, variable->layer,
        kpar_shape_text(expected, variable->rank, variable->dims), found);
}

static kpar_status check_layers(kpar_keras_file *file, const kpar_catalog *catalog)
{
    for (int i = 0; i < catalog->n; i++)
        if (!kpar_variable_is_optimizers(&catalog->variables[i]) &&
            catalog->variables[i].kind != KPAR_VARIABLE_CONSTANT)
            KPAR_TRY(check_variable(file, &catalog->variables[i]));
    return KPAR_OK;
}

static bool starts_with(const char *path, const char *start)
{
    return strncmp(path, start, strlen(start)) == 0;
}

/* States of random generators, which older versions of Keras 3 wrote, say nothing to us. */
static bool is_left_over(const kpar_catalog *catalog, const char *path)
{
    if (!starts_with(path, "layers/") && !starts_with(path, "vars/")) return false;
    return !strstr(path, "/seed_generator/") && kpar_catalog_find(catalog, path) < 0 &&
           !kpar_catalog_is_alias(catalog, path);
}

/* Walks the lines of paths, cutting them apart; *optimizers is how many belong to the optimizer. */
static kpar_status check_left_over(kpar_keras_file *file, const kpar_catalog *catalog, kpar_text *paths,
                                   int *optimizers)
{
    *optimizers = 0;
    char *cursor = paths->bytes;
    for (char *line; (line = kpar_next_line(&cursor));) {
        if (starts_with(line, "optimizer/vars/")) ++*optimizers;
        if (is_left_over(catalog, line))
            return kpar_fail(KPAR_EFORMAT,
                             "%s: %s belongs to no variable of the model; the weights are of another model",
                             file->path, line);
    }
    return KPAR_OK;
}

static int count_optimizer_variables(const kpar_catalog *catalog)
{
    int n = 0;
    for (int i = 0; i < catalog->n; i++) n += kpar_variable_is_optimizers(&catalog->variables[i]);
    return n;
}

/* Whether every variable of the optimizer has its dataset. */
static bool optimizer_fits(kpar_keras_file *file, const kpar_catalog *catalog)
{
    for (int i = 0; i < catalog->n; i++)
        if (kpar_variable_is_optimizers(&catalog->variables[i]) &&
            check_variable(file, &catalog->variables[i]) != KPAR_OK)
            return false;
    return true;
}

/* A model that was compiled and not yet trained has iteration counts and rates, and no slots. */
static int count_untrained(const kpar_catalog *catalog)
{
    int n = 0;
    for (int i = 0; i < catalog->n; i++) n += kpar_variable_is_optimizer_scalar(&catalog->variables[i]);
    return n > 2 ? n : 2;
}

kpar_status kpar_keras_check_weights(kpar_keras_file *file, const kpar_catalog *catalog, bool *has_optimizer)
{
    kpar_text paths = {0};
    int datasets = 0;
    *has_optimizer = false;
    if (file->weights) file = file->weights;
    KPAR_TRY(kpar_keras_open_weights(file));
    if (file->legacy) KPAR_TRY(kpar_legacy_map(file, catalog));
    kpar_status status = kpar_store_list(file->h5.id, file->path, &paths);
    if (status == KPAR_OK) status = check_layers(file, catalog);
    if (status == KPAR_OK) status = check_left_over(file, catalog, &paths, &datasets);
    kpar_text_clear(&paths);
    if (status != KPAR_OK) return status;
    if (file->legacy) datasets = (int)file->n_optimizer;
    const int needed = count_optimizer_variables(catalog);
    if (needed == 0) return KPAR_OK; /* nothing is trained */
    *has_optimizer = needed == datasets && optimizer_fits(file, catalog);
    if (!*has_optimizer && datasets > count_untrained(catalog))
        kpar_note("%s: the optimizer's state is of another optimizer and is not used: training starts with a "
                  "fresh one",
                  file->path);
    return KPAR_OK;
}

static kpar_status read_variable(kpar_keras_file *file, const kpar_variable *variable,
                                 const kpar_slice *slice, void *values)
{
    kpar_stored dataset;
    KPAR_TRY(kpar_stored_open(file->h5.id, file->path, dataset_of(file, variable), &dataset));
    kpar_status status = kpar_stored_read(&dataset, slice, kpar_store_type(variable->dtype), values);
    file->bytes_read += (size_t)kpar_count(slice->rank, slice->size) * dataset.element_bytes;
    kpar_stored_close(&dataset);
    return status;
}

kpar_status kpar_keras_read(kpar_keras_file *file, const kpar_variable *variable, const kpar_slice *slice,
                            void *values)
{
    if (file->weights) file = file->weights;
    KPAR_TRY(kpar_keras_open_weights(file));
    if (kpar_store_type(variable->dtype) < 0)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: %s: values of type %s are not read", file->path,
                         variable->path, kpar_dtype_name(variable->dtype));
    return read_variable(file, variable, slice, values);
}
