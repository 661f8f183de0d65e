/* Options from a file: JSON or lines. */
#include "cli/settings.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

typedef struct reading {
    kpar_arena *arena;
    const char *path;
    kpar_settings *settings;
} reading;

static kpar_status set(const reading *r, const char *name, const char *value)
{
    char *dashed = kpar_arena_strdup(r->arena, name);
    for (char *at = dashed; *at; at++)
        if (*at == '_') *at = '-';
    if (strcmp(dashed, "model") == 0) {
        r->settings->model = kpar_arena_strdup(r->arena, value);
        return KPAR_OK;
    }
    kpar_status status = kpar_options_set(&kpar_train_options, r->arena, dashed, value, r->settings, NULL);
    return status == KPAR_OK ? KPAR_OK : kpar_fail_in(status, "%s", r->path);
}

/* --- JSON --- */

/* One value as the command line would write it, or NULL. */
static const char *scalar_text(const reading *r, const json_t *value)
{
    if (json_is_string(value)) return json_string_value(value);
    if (json_is_boolean(value)) return json_is_true(value) ? "true" : "false";
    if (json_is_integer(value))
        return kpar_arena_printf(r->arena, "%lld", (long long)json_integer_value(value));
    if (json_is_real(value)) return kpar_arena_printf(r->arena, "%.17g", json_real_value(value));
    return NULL;
}

static kpar_status set_json(const reading *r, const char *name, const json_t *value)
{
    size_t i;
    const json_t *item;
    if (!json_is_array(value)) {
        const char *text = scalar_text(r, value);
        if (text) return set(r, name, text);
        return kpar_fail(KPAR_EUSAGE, "%s: %s: expected a text, a number, true, false or a list of such",
                         r->path, name);
    }
    json_array_foreach(value, i, item)
    {
        if (json_is_array(item))
            return kpar_fail(KPAR_EUSAGE, "%s: %s: lists have no lists in them", r->path, name);
        KPAR_TRY(set_json(r, name, item));
    }
    return KPAR_OK;
}

static kpar_status read_json(const reading *r, const char *text)
{
    json_error_t error;
    const char *name;
    json_t *value, *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!root) return kpar_fail(KPAR_EUSAGE, "%s: line %d: %s", r->path, error.line, error.text);
    kpar_status status = KPAR_OK;
    json_object_foreach(root, name, value) if (status == KPAR_OK) status = set_json(r, name, value);
    json_decref(root);
    return status;
}

/* --- lines --- */

static char *trim(char *text)
{
    text += strspn(text, " \t\r");
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t\r", text[length - 1])) text[--length] = '\0';
    return text;
}

static kpar_status read_line(const reading *r, char *line, int number)
{
    char *equals;
    line = trim(line);
    if (!*line || *line == '#') return KPAR_OK;
    equals = strchr(line, '=');
    if (!equals)
        return kpar_fail(KPAR_EUSAGE, "%s: line %d: expected NAME = VALUE, found '%s'", r->path, number,
                         line);
    *equals = '\0';
    return set(r, trim(line), trim(equals + 1));
}

static kpar_status read_lines(const reading *r, char *text)
{
    int number = 1;
    for (char *line = text, *next; line; line = next, number++) {
        next = strchr(line, '\n');
        if (next) *next++ = '\0';
        KPAR_TRY(read_line(r, line, number));
    }
    return KPAR_OK;
}

/* --- either --- */

static kpar_status read_text(const reading *r, kpar_text *text)
{
    char bytes[4096];
    size_t n;
    FILE *file = fopen(r->path, "r");
    if (!file) return kpar_fail(KPAR_EUSAGE, "--config: %s: %s", r->path, strerror(errno));
    while ((n = fread(bytes, 1, sizeof bytes, file)) > 0 && text->length < 1 << 20)
        kpar_text_append(text, bytes, n);
    const bool failed = ferror(file) != 0;
    fclose(file);
    if (failed) return kpar_fail(KPAR_EUSAGE, "--config: %s: cannot be read", r->path);
    if (strlen(kpar_text_get(text)) != text->length)
        return kpar_fail(KPAR_EUSAGE, "--config: %s: is no text", r->path);
    return KPAR_OK;
}

kpar_status kpar_settings_file(kpar_arena *arena, const char *path, kpar_settings *settings)
{
    const reading r = {arena, path, settings};
    kpar_text text = {0};
    kpar_status status = read_text(&r, &text);
    if (status == KPAR_OK) {
        const char *start = kpar_text_get(&text) + strspn(kpar_text_get(&text), " \t\r\n");
        status = *start == '{' ? read_json(&r, start)
                               : read_lines(&r, kpar_arena_strdup(arena, kpar_text_get(&text)));
    }
    kpar_text_clear(&text);
    return status;
}
