/* Command-line options: one table a program, from which come parsing, errors, --help, the man page and the
 * table in the documentation. Values land in the fields of a plain struct:
 *
 *     typedef struct settings {
 *         int epochs;
 *         bool shuffle, help;
 *         const char *output;
 *     } settings;
 *
 *     static const kpar_option rows[] = {
 *         {"epochs", KPAR_FIELD(settings, epochs), .placeholder = "N", .preset = "1", .least = 1,
 *          .most = INFINITY, .group = "Training", .doc = "Passes over the training data"},
 *         {"shuffle", KPAR_FIELD(settings, shuffle), .preset = "true", .negatable = true, .doc = "..."},
 *         {"help", KPAR_FIELD(settings, help), .doc = "Print this text and end"},
 *     };
 *
 * The kind of an option follows from the type of its field: bool a flag, int and int64_t integers, double a
 * number, const char * a string, kpar_strings a list (given repeatedly or with commas), an enum or unsigned a
 * choice, whose value is the index of the word in `choices`. Written `--name value`, `--name=value`, `--name`
 * for a flag, `--no-name` for a negatable one, and `-short value`; names are not abbreviated; `--` ends the
 * options. */
#ifndef KPAR_BASE_OPTIONS_H
#define KPAR_BASE_OPTIONS_H

#include "base/memory.h"
#include "base/text.h"

#include <stdint.h>

/* A list of strings in an arena; borrowed texts or copies there. */
typedef struct kpar_strings {
    const char **items;
    size_t count, capacity;
    bool is_preset; /* holds the default, which the first value given replaces */
} kpar_strings;

typedef enum kpar_option_kind {
    KPAR_OPTION_FLAG,
    KPAR_OPTION_INTEGER,
    KPAR_OPTION_LARGE_INTEGER,
    KPAR_OPTION_NUMBER,
    KPAR_OPTION_STRING,
    KPAR_OPTION_LIST,
    KPAR_OPTION_CHOICE
} kpar_option_kind;

typedef struct kpar_option {
    const char *name; /* long name, without dashes */
    kpar_option_kind kind;
    size_t offset;              /* of the field; this and the kind come from KPAR_FIELD */
    const char *short_names;    /* "np n" for -np and -n, or NULL */
    const char *placeholder;    /* what stands for the value in texts: "FILE"; NULL: the choices */
    const char *preset;         /* default as one would write it, "true" for a flag; NULL: 0, false, NULL */
    const char *preset_doc;     /* words for the default in texts; "" for none; NULL: the preset itself */
    const char *const *choices; /* CHOICE: the words, NULL at the end */
    double least, most;         /* range of a number, both ends allowed; equal (as when left out): any */
    bool negatable;             /* FLAG: --no-name exists */
    const char *group;          /* heading that begins with this option, or NULL */
    const char *doc;            /* one line, capitalized, without a final stop */
    const char *sought_as;      /* "lr rate": other programs' names for it, which an error answers; or NULL */
} kpar_option;

#define KPAR_FIELD(type, field)                                                                              \
    _Generic(((type *)0)->field,                                                                             \
        bool: KPAR_OPTION_FLAG,                                                                              \
        int: KPAR_OPTION_INTEGER,                                                                            \
        int64_t: KPAR_OPTION_LARGE_INTEGER,                                                                  \
        double: KPAR_OPTION_NUMBER,                                                                          \
        const char *: KPAR_OPTION_STRING,                                                                    \
        kpar_strings: KPAR_OPTION_LIST,                                                                      \
        unsigned: KPAR_OPTION_CHOICE),                                                                       \
        offsetof(type, field)

/* A heading with its text; paragraphs are separated by an empty line. */
typedef struct kpar_section {
    const char *heading, *text;
} kpar_section;

typedef struct kpar_exit_code {
    int code;
    const char *doc;
} kpar_exit_code;

typedef struct kpar_options {
    const char *program;     /* "kpar_train" */
    const char *synopsis;    /* what follows the name: "MODEL [OPTION]..." */
    const char *summary;     /* one line without a final stop, for NAME in the man page */
    const char *description; /* paragraphs separated by an empty line */
    const kpar_option *rows;
    size_t n_rows;
    const kpar_exit_code *exit_codes;
    size_t n_exit_codes;
    const kpar_section *sections; /* more of the man page, after the options: EXAMPLES, FILES ... */
    size_t n_sections;
    bool stop_at_operand; /* what follows the first operand belongs to another command */
} kpar_options;

/* Sets every field to its default. KPAR_EINTERNAL where a default is not a value of its option. */
kpar_status kpar_options_preset(const kpar_options *options, kpar_arena *arena, void *values) KPAR_MUST_USE;

/* Reads the arguments after argv[0] into `values`, over what is there: call kpar_options_preset first, and
 * kpar_options_set in between for a file of settings. Strings point into argv; lists are kept in `arena`.
 * given, which may be NULL, has n_rows entries; those of the options met become true. *operands receives what
 * is no option. KPAR_EUSAGE names the option, what it expects and what was found; of an unknown one, the
 * one that is sought by that name, or the closest that is known. */
kpar_status kpar_options_parse(const kpar_options *options, kpar_arena *arena, int argc, char *const *argv,
                               void *values, bool *given, kpar_strings *operands) KPAR_MUST_USE;

/* Gives option `name` the value `text`, as from a file: a flag takes true or false. Copies what it keeps. */
kpar_status kpar_options_set(const kpar_options *options, kpar_arena *arena, const char *name,
                             const char *text, void *values, bool *given) KPAR_MUST_USE;

/* The row of an option, or NULL. */
const kpar_option *kpar_options_find(const kpar_options *options, const char *name);

/* The text of --help, wrapped at `columns`, which is taken into 80 to 100. */
void kpar_options_help(kpar_text *text, const kpar_options *options, int columns);

/* A man page of section 1, in man(7) macros. `version` stands in its footer. */
void kpar_options_man(kpar_text *text, const kpar_options *options, const char *version);

/* Markdown: a heading and a table for each group. */
void kpar_options_markdown(kpar_text *text, const kpar_options *options);

#endif
