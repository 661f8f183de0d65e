/* MultiOptimizer: a map from patterns of paths to optimizers, and one for all other weights. */
#include "model/optimizers.h"
#include "model/pattern.h"

#include <string.h>

typedef struct optimizer_map {
    const json_t *by_pattern; /* object; NULL: empty */
    const json_t *other;
} optimizer_map;

static kpar_status read_map(const char *owner, const json_t *config, optimizer_map *map)
{
    const json_t *object = json_object_get(config, "optimizer_map"), *inner;
    const char *name;
    if (!object || json_is_null(object))
        return kpar_fail(KPAR_EFORMAT, "%s: argument 'optimizer_map' is missing", owner);
    KPAR_TRY(kpar_config_object(owner, object, &name, &inner));
    if (strcmp(name, "OptimizerMap") != 0)
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: argument 'optimizer_map': expected an OptimizerMap, found '%s'", owner, name);
    *map =
        (optimizer_map){json_object_get(inner, "optimizer_map"), json_object_get(inner, "default_optimizer")};
    if (!map->other ||
        (map->by_pattern && !json_is_object(map->by_pattern) && !json_is_null(map->by_pattern)))
        return kpar_fail(
            KPAR_EFORMAT,
            "%s: argument 'optimizer_map': expected default_optimizer and an object optimizer_map", owner);
    return KPAR_OK;
}

/* The others come first. */
kpar_status kpar_optimizer_multi_members(kpar_optimizer_members *m)
{
    optimizer_map map;
    const char *pattern;
    json_t *member;
    KPAR_TRY(read_map(m->owner, m->config, &map));
    m->members = kpar_arena_alloc(m->arena, (json_object_size(map.by_pattern) + 1) * sizeof *m->members);
    json_object_foreach((json_t *)(uintptr_t)map.by_pattern, pattern, member) m->members[m->n++] = member;
    m->members[m->n++] = map.other;
    return KPAR_OK;
}

/* A path that stands in the map as it is needs no pattern; else at most one may fit the whole of it. */
kpar_status kpar_optimizer_multi_choose(const char *owner, const json_t *config, const kpar_variable *weight,
                                        int *member)
{
    static const char key[] = "optimizer_map";
    optimizer_map map;
    const char *pattern, *first = NULL;
    json_t *optimizer;
    int number = 0;
    KPAR_TRY(read_map(owner, config, &map));
    const bool exact = json_object_get(map.by_pattern, weight->keras_path);
    *member = (int)json_object_size(map.by_pattern);
    json_object_foreach((json_t *)(uintptr_t)map.by_pattern, pattern, optimizer)
    {
        bool fits = strcmp(pattern, weight->keras_path) == 0;
        if (!exact) KPAR_TRY(kpar_pattern_fits(owner, key, pattern, true, weight->keras_path, &fits));
        if (fits && first)
            return kpar_fail(KPAR_EFORMAT,
                             "%s: argument '%s': '%s' and '%s' both fit the weight '%s'; expected one", owner,
                             key, first, pattern, weight->keras_path);
        if (fits) {
            first = pattern;
            *member = number;
        }
        number++;
    }
    return KPAR_OK;
}
