/* Layers that are arguments of layers: what a wrapper wraps, the cells of a recurrent layer. */
#include "keras/describe.h"

#include "model/config.h"
#include "model/tables.h"

#include <string.h>

/* The next entry, which is an argument of layer `around`. */
static kpar_status read_layer(kpar_description *d, size_t around, const json_t *object, const char *argument,
                              const char *group)
{
    const kpar_layer outer = d->layers[around];
    kpar_layer layer = {
        .class_name = json_string_value(json_object_get(object, "class_name")),
        .config = json_object_get(object, "config"),
        .group = group,
        .around = (int)around + 1,
        .argument = argument,
    };
    layer.own_name = json_string_value(json_object_get(layer.config, "name"));
    if (!layer.class_name || !layer.own_name)
        return kpar_fail(KPAR_EFORMAT, "%s: argument '%s': expected a layer with class_name and config",
                         kpar_layer_owner(d, &outer), argument);
    layer.name = kpar_arena_printf(d->model->arena, "%s/%s", outer.name, layer.own_name);
    layer.trainable = outer.trainable && !json_is_false(json_object_get(layer.config, "trainable"));
    const bool is_model = kpar_is_model(layer.config);
    if (!is_model) KPAR_TRY(kpar_describe_layer(d, &layer, object));
    KPAR_PUSH(d->layers, d->n_layers, d->layers_capacity) = layer;
    if (!is_model) return kpar_describe_inner(d, d->n_layers - 1);
    if (outer.around)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: a model within a layer within a layer is not supported",
                         kpar_layer_owner(d, &outer));
    kpar_wrapped wrapped = {.around = around};
    KPAR_TRY(kpar_describe_model(d, object, &wrapped.model));
    KPAR_PUSH(d->wrapped, d->n_wrapped, d->wrapped_capacity) = wrapped;
    return KPAR_OK;
}

/* A list of layers, whose groups are numbered class by class: lstm_cell, gru_cell, lstm_cell_1. */
static kpar_status read_list(kpar_description *d, size_t around, const json_t *list, const char *argument,
                             const char *group)
{
    kpar_arena *arena = d->model->arena;
    size_t i;
    const json_t *object;
    json_array_foreach(list, i, object)
    {
        const char *class_name = json_string_value(json_object_get(object, "class_name"));
        char snake[256];
        int before = 0;
        kpar_snake_case(class_name ? class_name : "", snake, sizeof snake);
        for (size_t k = 0; k < i; k++) {
            const char *other = json_string_value(json_object_get(json_array_get(list, k), "class_name"));
            before += class_name && strcmp(class_name, other) == 0;
        }
        const char *own = before ? kpar_arena_printf(arena, "%s/%s_%d", group, snake, before)
                                 : kpar_arena_printf(arena, "%s/%s", group, snake);
        KPAR_TRY(read_layer(d, around, object, argument, own));
    }
    return KPAR_OK;
}

kpar_status kpar_describe_inner(kpar_description *d, size_t around)
{
    kpar_arena *arena = d->model->arena;
    const kpar_layer *outer = &d->layers[around];
    const char *around_group = outer->group, *at = outer->row && outer->row->inner ? outer->row->inner : "";
    const json_t *config = outer->config;
    while (*at) {
        const size_t key = strcspn(at, "="), end = strcspn(at, " ");
        const char *argument = kpar_arena_printf(arena, "%.*s", (int)key, at);
        const char *group =
            kpar_arena_printf(arena, "%s/%.*s", around_group, (int)(end - key - 1), at + key + 1);
        const json_t *object = json_object_get(config, argument);
        KPAR_TRY(json_is_array(object) ? read_list(d, around, object, argument, group)
                                       : read_layer(d, around, object, argument, group));
        at += end;
        at += strspn(at, " ");
    }
    return KPAR_OK;
}
