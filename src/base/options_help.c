/* The text of --help: options by group, names on the left, words wrapped on the right. */
#include "base/options_internal.h"

#include <string.h>

void kpar_option_choices(kpar_text *text, const kpar_option *option, const char *between)
{
    for (size_t i = 0; option->choices[i]; i++)
        kpar_text_printf(text, "%s%s", i ? between : "", option->choices[i]);
}

void kpar_option_spelling(kpar_text *text, const kpar_option *option)
{
    const char *name = option->short_names ? option->short_names : "";
    for (size_t length; *name; name += length + strspn(name + length, " ")) {
        length = strcspn(name, " ");
        kpar_text_printf(text, "-%.*s, ", (int)length, name);
    }
    kpar_text_printf(text, "--%s%s", option->negatable ? "[no-]" : "", option->name);
    if (option->kind == KPAR_OPTION_FLAG) return;
    kpar_text_printf(text, " ");
    if (option->placeholder)
        kpar_text_printf(text, "%s", option->placeholder);
    else if (option->choices)
        kpar_option_choices(text, option, "|");
    else
        kpar_text_printf(text, "VALUE");
}

const char *kpar_option_default(const kpar_option *option)
{
    const char *words = option->preset_doc ? option->preset_doc : option->preset;
    if (!words || !*words) return NULL;
    if (option->kind != KPAR_OPTION_FLAG || option->preset_doc) return words;
    return strcmp(words, "true") == 0 ? "on" : NULL;
}

enum { NAMES_WIDTH = 30, LEAST_COLUMNS = 80, MOST_COLUMNS = 100 };

/* Bytes that are not the continuation of a UTF-8 character. */
static int width_of(const char *words, size_t length)
{
    int width = 0;
    for (size_t i = 0; i < length; i++) width += ((unsigned char)words[i] & 0xC0) != 0x80;
    return width;
}

/* Words from column `indent` on, where the cursor is at `column`; ends the line. */
static void wrap(kpar_text *text, const char *words, int column, int indent, int columns)
{
    const char *gap = "";
    while (*words) {
        size_t length = strcspn(words, " ");
        int width = width_of(words, length);
        if (column > indent && column + 1 + width > columns) {
            kpar_text_printf(text, "\n%*s", indent, "");
            column = indent;
            gap = "";
        }
        kpar_text_printf(text, "%s%.*s", gap, (int)length, words);
        column += width + (int)strlen(gap);
        gap = " ";
        words += length + strspn(words + length, " ");
    }
    kpar_text_printf(text, "\n");
}

static void help_option(kpar_text *text, const kpar_option *option, int columns)
{
    kpar_text left = {0}, right = {0};
    kpar_option_spelling(&left, option);
    kpar_text_printf(&right, "%s", option->doc);
    const char *preset = kpar_option_default(option);
    if (preset) kpar_text_printf(&right, " (default: %s)", preset);
    int width = 2 + (int)left.length;
    kpar_text_printf(text, "  %s", kpar_text_get(&left));
    if (width + 2 > NAMES_WIDTH) {
        kpar_text_printf(text, "\n");
        width = 0;
    }
    kpar_text_printf(text, "%*s", NAMES_WIDTH - width, "");
    wrap(text, kpar_text_get(&right), NAMES_WIDTH, NAMES_WIDTH, columns);
    kpar_text_clear(&left);
    kpar_text_clear(&right);
}

/* Paragraphs are separated by an empty line; other line ends are spaces. */
static void help_paragraphs(kpar_text *text, const char *paragraphs, int columns)
{
    char *copy = kpar_strdup(paragraphs);
    for (char *paragraph = copy, *next; paragraph; paragraph = next) {
        next = strstr(paragraph, "\n\n");
        if (next) {
            *next = '\0';
            next += 2;
        }
        for (char *end = paragraph; (end = strchr(end, '\n')) != NULL;) *end = ' ';
        wrap(text, paragraph, 0, 0, columns);
        if (next) kpar_text_printf(text, "\n");
    }
    kpar_free(copy);
}

void kpar_options_help(kpar_text *text, const kpar_options *options, int columns)
{
    int width = columns < LEAST_COLUMNS ? LEAST_COLUMNS : columns > MOST_COLUMNS ? MOST_COLUMNS : columns;
    kpar_text_printf(text, "Usage: %s %s\n\n", options->program, options->synopsis);
    help_paragraphs(text, options->description, width);
    if (options->n_rows && !options->rows[0].group) kpar_text_printf(text, "\nOptions:\n");
    for (size_t i = 0; i < options->n_rows; i++) {
        const kpar_option *option = &options->rows[i];
        if (option->group) kpar_text_printf(text, "\n%s:\n", option->group);
        help_option(text, option, width);
    }
    if (options->n_exit_codes) kpar_text_printf(text, "\nExit codes:\n");
    for (size_t i = 0; i < options->n_exit_codes; i++) {
        kpar_text_printf(text, "  %-4d", options->exit_codes[i].code);
        wrap(text, options->exit_codes[i].doc, 6, 6, width);
    }
}
