/* The catalog of variables. */
#include "model/catalog.h"

#include "model/tables.h"

#include <string.h>

kpar_catalog *kpar_catalog_create(void)
{
    kpar_catalog *catalog = kpar_alloc_zeroed(1, sizeof *catalog);
    catalog->arena = kpar_arena_create();
    return catalog;
}

void kpar_catalog_destroy(kpar_catalog *catalog)
{
    if (!catalog) return;
    kpar_arena_destroy(catalog->arena);
    kpar_free(catalog->variables);
    kpar_free(catalog->groups);
    kpar_names_clear(&catalog->paths);
    kpar_names_clear(&catalog->group_paths);
    kpar_free(catalog);
}

int kpar_catalog_find(const kpar_catalog *catalog, const char *path)
{
    return kpar_names_find(&catalog->paths, path);
}

int kpar_catalog_add(kpar_catalog *catalog, const kpar_variable *variable)
{
    int found = kpar_catalog_find(catalog, variable->path);
    if (found >= 0) return found;
    catalog->variables =
        kpar_grow(catalog->variables, (size_t)catalog->n, &catalog->capacity, sizeof *variable);
    kpar_variable *added = &catalog->variables[catalog->n];
    *added = *variable;
    added->path = kpar_arena_strdup(catalog->arena, variable->path);
    added->layer = kpar_arena_strdup(catalog->arena, variable->layer);
    added->name = kpar_arena_strdup(catalog->arena, variable->name);
    if (variable->keras_path) added->keras_path = kpar_arena_strdup(catalog->arena, variable->keras_path);
    if (variable->values)
        added->values =
            kpar_arena_copy(catalog->arena, variable->values,
                            (size_t)kpar_count(variable->rank, variable->dims) * sizeof *variable->values);
    kpar_names_add(&catalog->paths, added->path);
    return catalog->n++;
}

void kpar_catalog_add_alias(kpar_catalog *catalog, int variable, const char *path)
{
    catalog->variables[variable].alias = kpar_arena_strdup(catalog->arena, path);
}

bool kpar_catalog_is_alias(const kpar_catalog *catalog, const char *path)
{
    for (int i = 0; i < catalog->n; i++)
        if (catalog->variables[i].alias && strcmp(catalog->variables[i].alias, path) == 0) return true;
    return false;
}

void kpar_catalog_add_group(kpar_catalog *catalog, const char *path, const char *name)
{
    if (kpar_names_find(&catalog->group_paths, path) >= 0) return;
    catalog->groups = kpar_grow(catalog->groups, (size_t)catalog->n_groups, &catalog->groups_capacity,
                                sizeof *catalog->groups);
    kpar_variable_group *group = &catalog->groups[catalog->n_groups++];
    *group = (kpar_variable_group){
        kpar_arena_strdup(catalog->arena, path),
        kpar_arena_strdup(catalog->arena, name),
    };
    kpar_names_add(&catalog->group_paths, group->path);
}

/* A layer in the place of an activation's name has a group as well. */
static void add_activation(kpar_catalog *catalog, const kpar_layer *layer)
{
    const json_t *activation = json_object_get(layer->config, "activation");
    const char *name = json_string_value(json_object_get(json_object_get(activation, "config"), "name"));
    if (name)
        kpar_catalog_add_group(catalog, kpar_arena_printf(catalog->arena, "%s/activation", layer->group),
                               name);
}

void kpar_catalog_add_layer(kpar_catalog *catalog, const kpar_layer *layer)
{
    kpar_arena *arena = catalog->arena;
    const char *part, *name;
    if (!layer->group) return;
    kpar_catalog_add_group(catalog, layer->group, layer->own_name);
    for (int i = 0; kpar_layer_part(arena, layer, i, &part, &name); i++)
        if (part)
            kpar_catalog_add_group(catalog, kpar_arena_printf(arena, "%s/%s", layer->group, part), name);
    add_activation(catalog, layer);
}

/* Inserts `index` into order[0..n), which stands by layer; equal layers stay in the order they came. */
static void insert_by_layer(const kpar_catalog *catalog, int *order, int n, int index)
{
    int at = n;
    for (; at > 0 && catalog->variables[order[at - 1]].layer_index > catalog->variables[index].layer_index;
         at--)
        order[at] = order[at - 1];
    order[at] = index;
}

int kpar_catalog_weights(const kpar_catalog *catalog, int *order)
{
    int n = 0;
    for (int i = 0; i < catalog->n; i++) {
        if (catalog->variables[i].kind != KPAR_VARIABLE_WEIGHT) continue;
        if (order) insert_by_layer(catalog, order, n, i);
        n++;
    }
    return n;
}

kpar_slice kpar_variable_whole(const kpar_variable *variable)
{
    kpar_slice slice = {.rank = variable->rank};
    for (int d = 0; d < variable->rank; d++) slice.size[d] = variable->dims[d];
    return slice;
}

/* Row-major position in the whole variable of the slice's first element of the row that `outer` counts: all
 * dimensions but the last. */
static uint64_t row_position(const kpar_variable *variable, const kpar_slice *slice, uint64_t outer)
{
    uint64_t position = 0, stride = 1;
    int last = slice->rank - 1;
    for (int d = last; d >= 0; d--) {
        uint64_t within = 0;
        if (d < last) {
            within = outer % (uint64_t)slice->size[d];
            outer /= (uint64_t)slice->size[d];
        }
        position += ((uint64_t)slice->start[d] + within) * stride;
        stride *= (uint64_t)variable->dims[d];
    }
    return position;
}

static double initial_element(const kpar_variable *variable, uint64_t index)
{
    if ((int64_t)index >= variable->ones[0] && (int64_t)index < variable->ones[1]) return 1;
    if (variable->values) return variable->values[index];
    return variable->initializer ? variable->initializer->element(variable, index) : variable->initial;
}

/* Elements first, first + 1, ... of the whole variable, converted to its type. */
static void initialize_run(const kpar_variable *variable, uint64_t first, size_t count, char *values)
{
    enum { BLOCK = 256 };
    double block[BLOCK];
    size_t bytes = kpar_dtype_bytes(variable->dtype);
    for (size_t done = 0; done < count;) {
        size_t n = count - done < BLOCK ? count - done : BLOCK;
        for (size_t i = 0; i < n; i++) block[i] = initial_element(variable, first + done + i);
        kpar_convert(values + done * bytes, variable->dtype, block, KPAR_F64, n);
        done += n;
    }
}

void kpar_variable_initialize(const kpar_variable *variable, const kpar_slice *slice, void *values)
{
    int64_t count = kpar_count(slice->rank, slice->size);
    if (count == 0) return;
    if (variable->initializer && variable->initializer->whole && !variable->values) {
        kpar_variable known = *variable;
        double *all = kpar_alloc((size_t)kpar_count(variable->rank, variable->dims) * sizeof *all);
        variable->initializer->whole(variable, all);
        known.values = all;
        kpar_variable_initialize(&known, slice, values);
        kpar_free(all);
        return;
    }
    int64_t row = slice->rank ? slice->size[slice->rank - 1] : 1;
    size_t row_bytes = (size_t)row * kpar_dtype_bytes(variable->dtype);
    for (int64_t outer = 0; outer < count / row; outer++)
        initialize_run(variable, row_position(variable, slice, (uint64_t)outer), (size_t)row,
                       (char *)values + (size_t)outer * row_bytes);
}
