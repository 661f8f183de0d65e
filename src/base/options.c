/* Tables of options: default values, reading a value, parsing a command line. */
#include "base/options.h"

#include "base/number.h"
#include "base/options_internal.h"

#include <limits.h>
#include <string.h>

static void append(kpar_arena *arena, kpar_strings *strings, const char *item)
{
    if (strings->count == strings->capacity) {
        size_t capacity = strings->capacity ? 2 * strings->capacity : 8;
        const char **items = kpar_arena_alloc(arena, capacity * sizeof *items);
        if (strings->count) memcpy(items, strings->items, strings->count * sizeof *items);
        strings->items = items;
        strings->capacity = capacity;
    }
    strings->items[strings->count++] = item;
}

/* --- one reader a kind: `text` into `field`, or KPAR_EUSAGE --- */

static kpar_status expected(const kpar_option *option, const char *what, const char *found)
{
    return kpar_fail(KPAR_EUSAGE, "--%s: expected %s, found '%s'", option->name, what, found);
}

static kpar_status check_range(const kpar_option *option, double value, const char *found)
{
    if (option->least == option->most || (value >= option->least && value <= option->most)) return KPAR_OK;
    if (option->most > 1e300)
        return kpar_fail(KPAR_EUSAGE, "--%s: expected at least %.15g, found '%s'", option->name,
                         option->least, found);
    return kpar_fail(KPAR_EUSAGE, "--%s: expected %.15g to %.15g, found '%s'", option->name, option->least,
                     option->most, found);
}

static kpar_status read_flag(const kpar_option *option, kpar_arena *arena, const char *text, void *field)
{
    (void)arena;
    bool value = strcmp(text, "true") == 0;
    if (!value && strcmp(text, "false") != 0) return expected(option, "true or false", text);
    *(bool *)field = value;
    return KPAR_OK;
}

static kpar_status read_large_integer(const kpar_option *option, kpar_arena *arena, const char *text,
                                      void *field)
{
    (void)arena;
    long long value;
    if (!kpar_parse_whole_integer(text, &value)) return expected(option, "an integer", text);
    KPAR_TRY(check_range(option, (double)value, text));
    *(int64_t *)field = value;
    return KPAR_OK;
}

static kpar_status read_integer(const kpar_option *option, kpar_arena *arena, const char *text, void *field)
{
    int64_t value;
    KPAR_TRY(read_large_integer(option, arena, text, &value));
    if (value < INT_MIN || value > INT_MAX) return expected(option, "an integer of 32 bits", text);
    *(int *)field = (int)value;
    return KPAR_OK;
}

static kpar_status read_number(const kpar_option *option, kpar_arena *arena, const char *text, void *field)
{
    (void)arena;
    double value;
    if (!kpar_parse_whole_number(text, &value)) return expected(option, "a number", text);
    KPAR_TRY(check_range(option, value, text));
    *(double *)field = value;
    return KPAR_OK;
}

static kpar_status read_string(const kpar_option *option, kpar_arena *arena, const char *text, void *field)
{
    (void)option;
    (void)arena;
    *(const char **)field = text;
    return KPAR_OK;
}

static kpar_status read_list(const kpar_option *option, kpar_arena *arena, const char *text, void *field)
{
    kpar_strings *strings = field;
    if (strings->is_preset) *strings = (kpar_strings){0};
    char *copy = kpar_arena_strdup(arena, text);
    for (char *item = copy, *comma; item; item = comma) {
        comma = strchr(item, ',');
        if (comma) *comma++ = '\0';
        if (!*item) return expected(option, "words separated by single commas", text);
        append(arena, strings, item);
    }
    return KPAR_OK;
}

static kpar_status read_choice(const kpar_option *option, kpar_arena *arena, const char *text, void *field)
{
    (void)arena;
    for (unsigned i = 0; option->choices[i]; i++) {
        if (strcmp(option->choices[i], text) != 0) continue;
        *(unsigned *)field = i;
        return KPAR_OK;
    }
    kpar_text words = {0};
    kpar_option_choices(&words, option, ", ");
    kpar_status status = kpar_fail(KPAR_EUSAGE, "--%s: expected one of %s, found '%s'", option->name,
                                   kpar_text_get(&words), text);
    kpar_text_clear(&words);
    return status;
}

static const struct {
    kpar_status (*read)(const kpar_option *option, kpar_arena *arena, const char *text, void *field);
    size_t bytes;
} kinds[] = {
    [KPAR_OPTION_FLAG] = {read_flag, sizeof(bool)},
    [KPAR_OPTION_INTEGER] = {read_integer, sizeof(int)},
    [KPAR_OPTION_LARGE_INTEGER] = {read_large_integer, sizeof(int64_t)},
    [KPAR_OPTION_NUMBER] = {read_number, sizeof(double)},
    [KPAR_OPTION_STRING] = {read_string, sizeof(const char *)},
    [KPAR_OPTION_LIST] = {read_list, sizeof(kpar_strings)},
    [KPAR_OPTION_CHOICE] = {read_choice, sizeof(unsigned)},
};

static void *field_of(const kpar_option *option, void *values) { return (char *)values + option->offset; }

static kpar_status read_value(const kpar_option *option, kpar_arena *arena, const char *text, void *values)
{
    return kinds[option->kind].read(option, arena, text, field_of(option, values));
}

kpar_status kpar_options_preset(const kpar_options *options, kpar_arena *arena, void *values)
{
    for (size_t i = 0; i < options->n_rows; i++) {
        const kpar_option *option = &options->rows[i];
        memset(field_of(option, values), 0, kinds[option->kind].bytes);
        if (!option->preset) continue;
        if (read_value(option, arena, option->preset, values) != KPAR_OK)
            return kpar_fail_in(KPAR_EINTERNAL, "default value");
        if (option->kind == KPAR_OPTION_LIST) ((kpar_strings *)field_of(option, values))->is_preset = true;
    }
    return KPAR_OK;
}

const kpar_option *kpar_options_find(const kpar_options *options, const char *name)
{
    for (size_t i = 0; i < options->n_rows; i++)
        if (strcmp(options->rows[i].name, name) == 0) return &options->rows[i];
    return NULL;
}

enum { LONGEST_NAME = 64 };

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Insertions, deletions and exchanges of a character that turn a into b. Levenshtein (1966), row by row. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[LONGEST_NAME + 1], length = strlen(b);
    for (size_t j = 0; j <= length; j++) row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= length; j++) {
            size_t above = row[j];
            row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[length];
}

/* The known name closest to a mistyped one, or NULL if none is close. */
static const char *find_closest(const kpar_options *options, const char *name)
{
    const char *closest = NULL;
    size_t least = strlen(name) / 3 + 2; /* further away is no typing error */
    for (size_t i = 0; i < options->n_rows; i++) {
        const char *known = options->rows[i].name;
        if (strlen(known) > LONGEST_NAME) continue;
        size_t distance = edit_distance(name, known);
        if (distance >= least) continue;
        least = distance;
        closest = known;
    }
    return closest;
}

/* The option that other programs call `name`, or NULL. */
static const kpar_option *find_sought(const kpar_options *options, const char *name)
{
    char dashed[LONGEST_NAME + 1] = "";
    for (size_t i = 0; name[i] && i < LONGEST_NAME; i++) dashed[i] = name[i] == '_' ? '-' : name[i];
    for (size_t i = 0; i < options->n_rows; i++)
        if (options->rows[i].sought_as && kpar_has_word(options->rows[i].sought_as, dashed))
            return &options->rows[i];
    return NULL;
}

static kpar_status unknown(const kpar_options *options, const char *dashes, const char *name)
{
    const kpar_option *sought = find_sought(options, name);
    if (sought)
        return kpar_fail(KPAR_EUSAGE, "unknown option '%s%s'; did you mean '--%s'? (%s)", dashes, name,
                         sought->name, sought->doc);
    const char *closest = find_closest(options, name);
    if (closest)
        return kpar_fail(KPAR_EUSAGE, "unknown option '%s%s'; did you mean '--%s'?", dashes, name, closest);
    return kpar_fail(KPAR_EUSAGE, "unknown option '%s%s'; %s --help lists the options", dashes, name,
                     options->program);
}

/* A command line on its way through the table. */
typedef struct parser {
    const kpar_options *options;
    kpar_arena *arena;
    char *const *rest; /* arguments yet to be read */
    char *const *end;
    void *values;
    bool *given;
} parser;

static kpar_status take_value(parser *p, const kpar_option *option, const char *text)
{
    KPAR_TRY(read_value(option, p->arena, text, p->values));
    if (p->given) p->given[option - p->options->rows] = true;
    return KPAR_OK;
}

/* Whether an argument is an option of the table, so not meant as the value of the one before. */
static bool is_known_option(const kpar_options *options, const char *argument)
{
    return strncmp(argument, "--", 2) == 0 && argument[2] && kpar_options_find(options, argument + 2) != NULL;
}

/* The option was met; `attached` is what stood behind '=', or NULL. */
static kpar_status take_option(parser *p, const kpar_option *option, const char *attached)
{
    if (option->kind == KPAR_OPTION_FLAG) {
        if (attached)
            return kpar_fail(KPAR_EUSAGE, "--%s takes no value, found '%s'", option->name, attached);
        return take_value(p, option, "true");
    }
    if (attached) return take_value(p, option, attached);
    if (p->rest < p->end && !is_known_option(p->options, *p->rest)) return take_value(p, option, *p->rest++);
    kpar_text spelling = {0};
    kpar_option_spelling(&spelling, option);
    kpar_status status =
        kpar_fail(KPAR_EUSAGE, "--%s needs a value: %s", option->name, kpar_text_get(&spelling));
    kpar_text_clear(&spelling);
    return status;
}

/* --no-name */
static kpar_status take_negated(parser *p, const char *argument)
{
    const kpar_option *option = kpar_options_find(p->options, argument + strlen("no-"));
    if (!option) return unknown(p->options, "--", argument);
    if (!option->negatable) return kpar_fail(KPAR_EUSAGE, "--%s cannot be negated", option->name);
    return take_value(p, option, "false");
}

/* What follows "--". */
static kpar_status take_long(parser *p, const char *argument)
{
    const char *equals = strchr(argument, '=');
    const char *name =
        equals ? kpar_arena_printf(p->arena, "%.*s", (int)(equals - argument), argument) : argument;
    const kpar_option *option = kpar_options_find(p->options, name);
    if (option) return take_option(p, option, equals ? equals + 1 : NULL);
    if (strncmp(name, "no-", 3) == 0 && !equals) return take_negated(p, name);
    return unknown(p->options, "--", name);
}

/* What follows "-". */
static kpar_status take_short(parser *p, const char *argument)
{
    for (size_t i = 0; i < p->options->n_rows; i++) {
        const kpar_option *option = &p->options->rows[i];
        if (option->short_names && kpar_has_word(option->short_names, argument))
            return take_option(p, option, NULL);
    }
    return unknown(p->options, "-", argument);
}

kpar_status kpar_options_parse(const kpar_options *options, kpar_arena *arena, int argc, char *const *argv,
                               void *values, bool *given, kpar_strings *operands)
{
    parser p = {options, arena, argc > 0 ? argv + 1 : argv, argv + argc, values, given};
    bool only_operands = false;
    *operands = (kpar_strings){0};
    while (p.rest < p.end) {
        const char *argument = *p.rest++;
        bool is_option = !only_operands && argument[0] == '-' && argument[1];
        if (is_option && strcmp(argument, "--") == 0) {
            only_operands = true;
        } else if (is_option) {
            KPAR_TRY(argument[1] == '-' ? take_long(&p, argument + 2) : take_short(&p, argument + 1));
        } else {
            append(arena, operands, argument);
            only_operands = only_operands || options->stop_at_operand;
        }
    }
    return KPAR_OK;
}

kpar_status kpar_options_set(const kpar_options *options, kpar_arena *arena, const char *name,
                             const char *text, void *values, bool *given)
{
    const kpar_option *option = kpar_options_find(options, name);
    if (!option) return unknown(options, "--", name);
    parser p = {.options = options, .arena = arena, .values = values, .given = given};
    return take_value(&p, option, kpar_arena_strdup(arena, text));
}
