/* Reading a layer's, loss's or optimizer's config with errors that name the object, the argument, what was
 * expected and what was found. `owner` is what messages call it: "model.keras: layer 'dense' (Dense)". */
#ifndef KPAR_MODEL_CONFIG_H
#define KPAR_MODEL_CONFIG_H

#include "base/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Absent keys and null give the default. A value of another type is KPAR_EFORMAT. */
kpar_status kpar_config_number(const char *owner, const json_t *config, const char *key, double fallback,
                               double *value) KPAR_MUST_USE;
kpar_status kpar_config_integer(const char *owner, const json_t *config, const char *key, int64_t fallback,
                                int64_t *value) KPAR_MUST_USE;
kpar_status kpar_config_boolean(const char *owner, const json_t *config, const char *key, bool fallback,
                                bool *value) KPAR_MUST_USE;
kpar_status kpar_config_string(const char *owner, const json_t *config, const char *key, const char *fallback,
                               const char **value) KPAR_MUST_USE;

/* Whether the key is there, and not null. */
bool kpar_config_has(const json_t *config, const char *key);

/* Refuses every key that is not in `known` (space-separated) unless its value is null, false, or in
 * `defaults`: space-separated key=JSON pairs, e.g. "data_format=\"channels_last\" ragged=false".
 * KPAR_EUNSUPPORTED names the argument. */
kpar_status kpar_config_known(const char *owner, const json_t *config, const char *known,
                              const char *defaults) KPAR_MUST_USE;

/* An object {"class_name", "config"}, a function {"class_name": "function", "config": name} or a plain
 * string: *class_name as written, *config its config or NULL. */
kpar_status kpar_config_object(const char *owner, const json_t *object, const char **class_name,
                               const json_t **config) KPAR_MUST_USE;

/* Likewise; of an object of the class `wrapper` the function that its config has as "fn", beside its arguments. */
kpar_status kpar_config_unwrapped(const char *owner, const json_t *object, const char *wrapper,
                                  const char **class_name, const json_t **config) KPAR_MUST_USE;

/* Whether two names are the same in any of Keras's spellings: "SparseCategoricalCrossentropy" and
 * "sparse_categorical_crossentropy". */
bool kpar_same_name(const char *class_name, const char *name);

/* Keras's snake case of a class name, as used in weight paths; into text, truncated to `capacity`. */
void kpar_snake_case(const char *class_name, char *text, size_t capacity);

#endif
