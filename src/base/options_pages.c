/* The man page and the tables of the documentation, from a table of options. */
#include "base/options_internal.h"

#include <ctype.h>
#include <string.h>

/* Text for roff: '-' and '\' as themselves, and a '.' or '\'' that begins a line is no request. */
static void roff_text(kpar_text *text, const char *words)
{
    bool line_start = true;
    for (const char *at = words; *at; at++) {
        if (line_start && (*at == '.' || *at == '\'')) kpar_text_printf(text, "\\&");
        const char *escape = *at == '-' ? "\\-" : *at == '\\' ? "\\e" : NULL;
        if (escape) kpar_text_printf(text, "%s", escape);
        if (!escape) kpar_text_append(text, at, 1);
        line_start = *at == '\n';
    }
}

static void roff_paragraphs(kpar_text *text, const char *paragraphs)
{
    for (const char *at = paragraphs; at;) {
        const char *gap = strstr(at, "\n\n");
        size_t length = gap ? (size_t)(gap - at) : strlen(at);
        kpar_text part = {0};
        kpar_text_append(&part, at, length);
        roff_text(text, kpar_text_get(&part));
        kpar_text_clear(&part);
        kpar_text_printf(text, "\n%s", gap ? ".PP\n" : "");
        at = gap ? gap + 2 : NULL;
    }
}

static void roff_heading(kpar_text *text, const char *request, const char *heading)
{
    kpar_text_printf(text, "%s \"", request);
    roff_text(text, heading);
    kpar_text_printf(text, "\"\n");
}

static void roff_option(kpar_text *text, const kpar_option *option)
{
    kpar_text spelling = {0};
    kpar_option_spelling(&spelling, option);
    kpar_text_printf(text, ".TP\n\\fB");
    roff_text(text, kpar_text_get(&spelling));
    kpar_text_printf(text, "\\fR\n");
    roff_text(text, option->doc);
    const char *preset = kpar_option_default(option);
    if (preset) {
        kpar_text_printf(text, " (default: ");
        roff_text(text, preset);
        kpar_text_printf(text, ")");
    }
    kpar_text_printf(text, ".\n");
    kpar_text_clear(&spelling);
}

static void roff_name(kpar_text *text, const kpar_options *options, const char *version)
{
    kpar_text_printf(text, ".TH \"");
    for (const char *at = options->program; *at; at++)
        kpar_text_printf(text, "%c", toupper((unsigned char)*at));
    kpar_text_printf(text, "\" 1 \"\" \"kpar %s\" \"User Commands\"\n.SH NAME\n", version);
    roff_text(text, options->program);
    kpar_text_printf(text, " \\- ");
    roff_text(text, options->summary);
    kpar_text_printf(text, "\n.SH SYNOPSIS\n\\fB");
    roff_text(text, options->program);
    kpar_text_printf(text, "\\fR ");
    roff_text(text, options->synopsis);
    kpar_text_printf(text, "\n.SH DESCRIPTION\n");
    roff_paragraphs(text, options->description);
}

void kpar_options_man(kpar_text *text, const kpar_options *options, const char *version)
{
    roff_name(text, options, version);
    kpar_text_printf(text, ".SH OPTIONS\n");
    for (size_t i = 0; i < options->n_rows; i++) {
        if (options->rows[i].group) roff_heading(text, ".SS", options->rows[i].group);
        roff_option(text, &options->rows[i]);
    }
    if (options->n_exit_codes) kpar_text_printf(text, ".SH \"EXIT STATUS\"\n");
    for (size_t i = 0; i < options->n_exit_codes; i++) {
        kpar_text_printf(text, ".TP\n\\fB%d\\fR\n", options->exit_codes[i].code);
        roff_paragraphs(text, options->exit_codes[i].doc);
    }
    for (size_t i = 0; i < options->n_sections; i++) {
        roff_heading(text, ".SH", options->sections[i].heading);
        roff_paragraphs(text, options->sections[i].text);
    }
}

/* Text for a cell: '|' would end it. */
static void cell_text(kpar_text *text, const char *words)
{
    for (const char *at = words; *at; at++) {
        if (*at == '|') kpar_text_printf(text, "\\");
        kpar_text_append(text, at, 1);
    }
}

static void markdown_option(kpar_text *text, const kpar_option *option)
{
    kpar_text spelling = {0};
    kpar_option_spelling(&spelling, option);
    const char *preset = kpar_option_default(option);
    kpar_text_printf(text, "| `");
    cell_text(text, kpar_text_get(&spelling));
    kpar_text_printf(text, "` | ");
    cell_text(text, preset ? preset : "");
    kpar_text_printf(text, preset ? " | " : "| ");
    cell_text(text, option->doc);
    kpar_text_printf(text, " |\n");
    kpar_text_clear(&spelling);
}

void kpar_options_markdown(kpar_text *text, const kpar_options *options)
{
    for (size_t i = 0; i < options->n_rows; i++) {
        const char *group = options->rows[i].group;
        if (!group && i == 0) group = "Options";
        if (group) {
            kpar_text_printf(text, "%s### %s\n\n| option | default | meaning |\n| --- | --- | --- |\n",
                             i ? "\n" : "", group);
        }
        markdown_option(text, &options->rows[i]);
    }
}
