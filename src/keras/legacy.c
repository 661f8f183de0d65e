/* Whole models in HDF5: texts in attributes, and which dataset a variable is. */
#include "keras/legacy.h"

#include "keras/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct texts {
    const char **items;
    size_t n, capacity;
} texts;

/* Texts of fixed length, of which the file has `bytes` each. */
static bool read_fixed(kpar_arena *arena, hid_t attribute, hid_t type, size_t n, texts *all)
{
    const size_t bytes = H5Tget_size(type);
    if (bytes == 0 || n > H5Aget_storage_size(attribute) / bytes) return false;
    char *block = kpar_arena_alloc(arena, n * bytes + 1);
    if (H5Aread(attribute, type, block) < 0) return false;
    for (size_t i = 0; i < n; i++)
        KPAR_PUSH(all->items, all->n, all->capacity) =
            kpar_arena_printf(arena, "%.*s", (int)bytes, block + i * bytes);
    return true;
}

static bool read_variable(kpar_arena *arena, hid_t attribute, hid_t type, hid_t space, size_t n, texts *all)
{
    if (n > H5Aget_storage_size(attribute)) return false;
    char **block = kpar_arena_alloc(arena, (n + 1) * sizeof *block);
    if (H5Aread(attribute, type, block) < 0) return false;
    for (size_t i = 0; i < n; i++)
        KPAR_PUSH(all->items, all->n, all->capacity) = kpar_arena_strdup(arena, block[i] ? block[i] : "");
    return H5Dvlen_reclaim(type, space, H5P_DEFAULT, block) >= 0;
}

/* Appends the attribute's texts. An empty list has no type. */
static kpar_status read_texts(kpar_arena *arena, hid_t object, const char *file, const char *name, texts *all)
{
    const hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    const hid_t type = attribute < 0 ? -1 : H5Aget_type(attribute);
    const hid_t space = attribute < 0 ? -1 : H5Aget_space(attribute);
    const hssize_t n = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
    bool read = type >= 0 && n >= 0;
    if (read && n > 0)
        read = H5Tget_class(type) == H5T_STRING &&
               (H5Tis_variable_str(type) > 0 ? read_variable(arena, attribute, type, space, (size_t)n, all)
                                             : read_fixed(arena, attribute, type, (size_t)n, all));
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    if (attribute >= 0) H5Aclose(attribute);
    return read ? KPAR_OK
                : kpar_fail(KPAR_EFORMAT, "%s: attribute %s: expected texts; it is damaged", file, name);
}

static kpar_status read_pieces(kpar_arena *arena, hid_t object, const char *file, const char *name,
                               texts *all)
{
    if (H5Aexists(object, name) > 0) return read_texts(arena, object, file, name, all);
    for (int i = 0;; i++) {
        const char *piece = kpar_arena_printf(arena, "%s%d", name, i);
        if (H5Aexists(object, piece) <= 0) return KPAR_OK;
        KPAR_TRY(read_texts(arena, object, file, piece, all));
    }
}

kpar_status kpar_legacy_texts(kpar_arena *arena, hid_t object, const char *file, const char *name,
                              const char ***items, size_t *n)
{
    texts all = {0};
    kpar_status status = read_pieces(arena, object, file, name, &all);
    *n = all.n;
    *items = kpar_arena_copy(arena, all.items, all.n * sizeof *all.items);
    kpar_free(all.items);
    return status;
}

/* --- weights --- */

/* Names of the datasets of a group, "model_weights/dense/sequential/dense/kernel". */
static kpar_status list_group(kpar_keras_file *file, const char *group, const char ***paths, size_t *n)
{
    if (!kpar_store_has(file->h5.id, group))
        return kpar_fail(KPAR_EFORMAT, "%s: %s is missing; the file is damaged", file->path, group);
    const hid_t id = H5Oopen(file->h5.id, group, H5P_DEFAULT);
    if (id < 0) return kpar_store_fail(KPAR_EFORMAT, file->path, group);
    kpar_status status = kpar_legacy_texts(file->arena, id, file->path, "weight_names", paths, n);
    for (size_t i = 0; i < *n && status == KPAR_OK; i++)
        (*paths)[i] = kpar_arena_printf(file->arena, "%s/%s", group, (*paths)[i]);
    H5Oclose(id);
    return status;
}

static bool is_weight(const kpar_variable *v)
{
    return v->kind == KPAR_VARIABLE_WEIGHT || v->kind == KPAR_VARIABLE_FROZEN;
}

/* The variable's layer, or the model around it that stands in the outermost one: "layers/functional". */
static size_t outermost(const kpar_variable *v)
{
    const size_t first = strcspn(v->path, "/");
    return v->path[first] ? first + 1 + strcspn(v->path + first + 1, "/") : first;
}

static bool same_layer(const kpar_variable *a, const kpar_variable *b)
{
    const size_t length = outermost(a);
    return length == outermost(b) && strncmp(a->path, b->path, length) == 0;
}

typedef struct ordered {
    const kpar_variable *variable;
    int index;
} ordered;

static int by_layer(const void *a, const void *b)
{
    const ordered *first = a, *second = b;
    if (first->variable->layer_index != second->variable->layer_index)
        return first->variable->layer_index < second->variable->layer_index ? -1 : 1;
    return (first->index > second->index) - (first->index < second->index);
}

static void set_dataset(kpar_keras_file *file, const kpar_variable *v, const char *dataset)
{
    const int number = kpar_names_add(&file->paths, kpar_arena_strdup(file->arena, v->path));
    if ((size_t)number == file->n_datasets)
        KPAR_PUSH(file->datasets, file->n_datasets, file->datasets_capacity) = dataset;
    else
        file->datasets[number] = dataset;
}

/* The variables of one layer, trained ones first. */
static kpar_status map_layer(kpar_keras_file *file, const ordered *all, size_t n, const char *group)
{
    const char **paths;
    size_t found, next = 0;
    KPAR_TRY(list_group(file, group, &paths, &found));
    if (found != n)
        return kpar_fail(KPAR_EFORMAT,
                         "%s: %s: expected %zu weights for layer '%s', found %zu; the weights are of another "
                         "model",
                         file->path, group, n, all[0].variable->layer, found);
    for (int trained = 1; trained >= 0; trained--)
        for (size_t i = 0; i < n; i++)
            if ((all[i].variable->kind == KPAR_VARIABLE_WEIGHT) == trained)
                set_dataset(file, all[i].variable, paths[next++]);
    return KPAR_OK;
}

/* The groups of layers that have weights, in order. */
static kpar_status list_layers(kpar_keras_file *file, const char ***groups, size_t *n)
{
    const char *base = kpar_store_has(file->h5.id, "model_weights") ? "model_weights" : ".", **names;
    const hid_t id = H5Oopen(file->h5.id, base, H5P_DEFAULT);
    size_t n_names, count;
    *n = 0;
    if (id < 0) return kpar_store_fail(KPAR_EFORMAT, file->path, base);
    kpar_status status = kpar_legacy_texts(file->arena, id, file->path, "layer_names", &names, &n_names);
    H5Oclose(id);
    KPAR_TRY(status);
    *groups = kpar_arena_alloc(file->arena, (n_names + 1) * sizeof **groups);
    for (size_t i = 0; i < n_names; i++) {
        const char **paths,
            *group = *base == '.' ? names[i] : kpar_arena_printf(file->arena, "%s/%s", base, names[i]);
        KPAR_TRY(list_group(file, group, &paths, &count));
        if (count > 0) (*groups)[(*n)++] = group;
    }
    return KPAR_OK;
}

static kpar_status map_layers(kpar_keras_file *file, const ordered *all, size_t n)
{
    const char **groups;
    size_t found, layers = 0, end;
    KPAR_TRY(list_layers(file, &groups, &found));
    for (size_t i = 0; i < n; i++) layers += i == 0 || !same_layer(all[i - 1].variable, all[i].variable);
    if (layers != found)
        return kpar_fail(KPAR_EFORMAT,
                         "%s: expected weights of %zu layers, found %zu; the weights are of another model or "
                         "damaged",
                         file->path, layers, found);
    for (size_t first = 0, k = 0; first < n; first = end) {
        for (end = first + 1; end < n && same_layer(all[first].variable, all[end].variable);) end++;
        KPAR_TRY(map_layer(file, &all[first], end - first, groups[k++]));
    }
    return KPAR_OK;
}

/* The optimizer's, by their number. Keras 2 numbered them otherwise. */
static kpar_status map_optimizer(kpar_keras_file *file, const kpar_catalog *catalog)
{
    const char **paths, **version, *digits;
    size_t n, n_version;
    KPAR_TRY(kpar_legacy_texts(file->arena, file->h5.id, file->path, "keras_version", &version, &n_version));
    if (!kpar_store_has(file->h5.id, "optimizer_weights") || n_version == 0 || version[0][0] < '3')
        return KPAR_OK;
    KPAR_TRY(list_group(file, "optimizer_weights", &paths, &n));
    file->n_optimizer = n;
    for (int i = 0; i < catalog->n; i++) {
        const kpar_variable *v = &catalog->variables[i];
        if (!kpar_variable_is_optimizers(v) || !(digits = strrchr(v->path, '/'))) continue;
        const unsigned long number = strtoul(digits + 1, NULL, 10);
        if (number < n) set_dataset(file, v, paths[number]);
    }
    return KPAR_OK;
}

kpar_status kpar_legacy_map(kpar_keras_file *file, const kpar_catalog *catalog)
{
    ordered *all = kpar_arena_alloc(file->arena, ((size_t)catalog->n + 1) * sizeof *all);
    size_t n = 0;
    for (int i = 0; i < catalog->n; i++)
        if (is_weight(&catalog->variables[i])) all[n++] = (ordered){&catalog->variables[i], i};
    qsort(all, n, sizeof *all, by_layer);
    KPAR_TRY(map_layers(file, all, n));
    return map_optimizer(file, catalog);
}
