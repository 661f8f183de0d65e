/* Reading configs: values with a default, arguments that are known, and Keras's spellings of names. */
#include "model/config.h"

#include "base/memory.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FOUND_BYTES = 80 };

/* A value as JSON for a message, cut to a readable length. */
static const char *found(char text[FOUND_BYTES], const json_t *value)
{
    char *json = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    snprintf(text, FOUND_BYTES, "%s", json ? json : "?");
    if (strlen(text) == FOUND_BYTES - 1) memcpy(text + FOUND_BYTES - 4, "...", 3);
    free(json);
    return text;
}

static kpar_status wrong_type(const char *owner, const char *key, const char *expected, const json_t *value)
{
    char text[FOUND_BYTES];
    return kpar_fail(KPAR_EFORMAT, "%s: argument '%s': expected %s, found %s", owner, key, expected,
                     found(text, value));
}

/* The value of a key; NULL where it is absent or null. */
static const json_t *get(const json_t *config, const char *key)
{
    const json_t *value = json_object_get(config, key);
    return json_is_null(value) ? NULL : value;
}

bool kpar_config_has(const json_t *config, const char *key) { return get(config, key) != NULL; }

kpar_status kpar_config_number(const char *owner, const json_t *config, const char *key, double fallback,
                               double *value)
{
    const json_t *json = get(config, key);
    *value = json ? json_number_value(json) : fallback;
    return !json || json_is_number(json) ? KPAR_OK : wrong_type(owner, key, "a number", json);
}

/* Python writes some whole numbers as 5.0. */
static bool is_whole(const json_t *json)
{
    double real = json_real_value(json);
    return json_is_integer(json) || (json_is_real(json) && real == floor(real) && fabs(real) < 0x1p53);
}

kpar_status kpar_config_integer(const char *owner, const json_t *config, const char *key, int64_t fallback,
                                int64_t *value)
{
    const json_t *json = get(config, key);
    *value = fallback;
    if (!json) return KPAR_OK;
    if (!is_whole(json)) return wrong_type(owner, key, "a whole number", json);
    *value = json_is_integer(json) ? json_integer_value(json) : (int64_t)json_real_value(json);
    return KPAR_OK;
}

kpar_status kpar_config_boolean(const char *owner, const json_t *config, const char *key, bool fallback,
                                bool *value)
{
    const json_t *json = get(config, key);
    *value = json ? json_is_true(json) : fallback;
    return !json || json_is_boolean(json) ? KPAR_OK : wrong_type(owner, key, "true or false", json);
}

kpar_status kpar_config_string(const char *owner, const json_t *config, const char *key, const char *fallback,
                               const char **value)
{
    const json_t *json = get(config, key);
    *value = json_is_string(json) ? json_string_value(json) : fallback;
    return !json || json_is_string(json) ? KPAR_OK : wrong_type(owner, key, "a string", json);
}

/* The next of the words that spaces separate, from *cursor on; NULL at the end. */
static const char *next_word(const char **cursor, size_t *length)
{
    const char *word = *cursor + strspn(*cursor, " ");
    *length = strcspn(word, " ");
    *cursor = word + *length;
    return *length ? word : NULL;
}

static bool has_word(const char *words, const char *word)
{
    size_t length;
    for (const char *cursor = words, *w; (w = next_word(&cursor, &length));)
        if (strlen(word) == length && memcmp(w, word, length) == 0) return true;
    return false;
}

static bool same_value(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b)) return json_number_value(a) == json_number_value(b);
    return json_equal(a, b);
}

/* Whether "key=JSON" among `defaults` allows this value. */
static bool is_default(const char *defaults, const char *key, const json_t *value)
{
    bool same = false;
    size_t length, key_length = strlen(key);
    for (const char *cursor = defaults, *pair; !same && (pair = next_word(&cursor, &length));) {
        if (length <= key_length || memcmp(pair, key, key_length) != 0 || pair[key_length] != '=') continue;
        json_t *allowed = json_loadb(pair + key_length + 1, length - key_length - 1, JSON_DECODE_ANY, NULL);
        same = same_value(allowed, value);
        json_decref(allowed);
    }
    return same;
}

kpar_status kpar_config_known(const char *owner, const json_t *config, const char *known,
                              const char *defaults)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)config, key, value)
    {
        if (has_word(known, key) || json_is_null(value) || json_is_false(value) ||
            is_default(defaults, key, value))
            continue;
        char text[FOUND_BYTES];
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: argument '%s' = %s is not supported; supported arguments: %s", owner, key,
                         found(text, value), *known ? known : "none");
    }
    return KPAR_OK;
}

/* Whether what is called so in the file is somebody's own Python code. */
static bool is_custom(const json_t *object)
{
    const char *registered = json_string_value(json_object_get(object, "registered_name"));
    return registered && strchr(registered, '>');
}

kpar_status kpar_config_object(const char *owner, const json_t *object, const char **class_name,
                               const json_t **config)
{
    *config = NULL;
    *class_name = json_string_value(object);
    if (*class_name) return KPAR_OK;
    char text[FOUND_BYTES];
    const json_t *inner = json_object_get(object, "config");
    *class_name = json_string_value(json_object_get(object, "class_name"));
    if (!*class_name)
        return kpar_fail(KPAR_EFORMAT, "%s: expected a name or an object with a class_name, found %s", owner,
                         found(text, object));
    if (is_custom(object))
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: '%s' is custom Python code, which is never run; use one of Keras's own", owner,
                         *class_name);
    if (strcmp(*class_name, "function") == 0) {
        *class_name = json_string_value(inner);
        return *class_name ? KPAR_OK
                           : kpar_fail(KPAR_EFORMAT, "%s: expected the name of a function, found %s", owner,
                                       found(text, inner));
    }
    *config = json_is_object(inner) ? inner : NULL;
    return KPAR_OK;
}

kpar_status kpar_config_unwrapped(const char *owner, const json_t *object, const char *wrapper,
                                  const char **class_name, const json_t **config)
{
    const json_t *of_function;
    KPAR_TRY(kpar_config_object(owner, object, class_name, config));
    if (strcmp(*class_name, wrapper) != 0) return KPAR_OK;
    return kpar_config_object(owner, json_object_get(*config, "fn"), class_name, &of_function);
}

/* Compares letters and digits only, without case: "KLDivergence", "kl_divergence". */
bool kpar_same_name(const char *class_name, const char *name)
{
    for (;; class_name++, name++) {
        while (*class_name == '_') class_name++;
        while (*name == '_') name++;
        if (tolower((unsigned char)*class_name) != tolower((unsigned char)*name)) return false;
        if (!*name) return true;
    }
}

/* Keras's two substitutions, (.)([A-Z][a-z]+) and ([a-z])([A-Z]), break a word before a capital that a small
 * letter follows or precedes. Keras drops other characters than letters, digits and _ first. */
void kpar_snake_case(const char *class_name, char *text, size_t capacity)
{
    size_t length = 0;
    char previous = '\0';
    for (const char *c = class_name; *c && length + 2 < capacity; c++) {
        unsigned char here = (unsigned char)*c;
        if (!isalnum(here) && here != '_') continue;
        const char *next = c + 1;
        while (*next && !isalnum((unsigned char)*next) && *next != '_') next++;
        bool breaks =
            isupper(here) && previous && (islower((unsigned char)*next) || islower((unsigned char)previous));
        if (breaks) text[length++] = '_';
        text[length++] = (char)tolower(here);
        previous = *c;
    }
    if (capacity) text[length] = '\0';
}
