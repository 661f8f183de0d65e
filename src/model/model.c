/* The end and the fingerprint of a model. */
#include "model/model.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

void kpar_model_destroy(kpar_model *model)
{
    if (!model) return;
    json_decref(model->made);
    json_decref(model->root);
    kpar_arena_destroy(model->arena);
}

/* Addresses that tell which objects were one in Python: they differ from save to save. The depth is bounded
 * by the parser's own limit. */
static void drop_addresses(json_t *json)
{
    if (json_is_object(json)) {
        json_object_del(json, "shared_object_id");
        const char *key;
        json_t *value;
        json_object_foreach(json, key, value) drop_addresses(value);
    }
    size_t i;
    json_t *item;
    json_array_foreach(json, i, item) drop_addresses(item);
}

uint64_t kpar_model_hash(const kpar_model *model)
{
    json_t *copy = json_deep_copy(model->root);
    drop_addresses(copy);
    char *text = json_dumps(copy, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY);
    uint64_t hash = text ? kpar_hash(KPAR_HASH_START, text, strlen(text)) : 0;
    free(text);
    json_decref(copy);
    return hash;
}
