/* Reads what text_dump.c writes: cuts lines into fields and values. What they mean is in text_lines.c. */
#include "graph/attributes.h"
#include "program/text_lines.h"

#include <string.h>

static void begin_line(kpar_text_reader *r)
{
    r->line = (kpar_text_line){0};
    r->n_inputs = r->n_outputs = r->reads.n = r->writes.n = r->n_ranks = r->n_waits = r->n_counts = 0;
    kpar_arena_destroy(r->arena);
    r->arena = kpar_arena_create();
}

/* Takes the quotes and backslashes out of a quoted value at *at; false if it does not end. */
static bool unquote(char **at, char **value)
{
    char *from = *at + 1, *to = *at;
    *value = to;
    for (; *from && *from != '"'; from++) {
        if (*from == '\\' && from[1])
            from++;
        else if (*from == '\\')
            return false;
        else {
            *to++ = *from;
            continue;
        }
        *to++ = *from == 'n' ? '\n' : *from;
    }
    if (*from != '"') return false;
    *at = from + 1;
    *to = '\0';
    return true;
}

/* A value goes to the next space; a quoted one to its quote, one in braces to its brace. */
static bool cut_value(char **at, char **value)
{
    if (**at == '"') return unquote(at, value);
    *value = *at;
    char *end = **at == '{' ? strchr(*at, '}') : *at + strcspn(*at, " ");
    if (!end) return false;
    if (*end == '}') end++;
    if (*end != ' ' && *end != '\0') return false;
    *at = *end ? end + 1 : end;
    *end = '\0';
    return true;
}

static bool parse_attribute(kpar_text_reader *r, const char *key, const char *value)
{
    int n;
    const kpar_attribute_row *rows = kpar_attribute_rows(&n);
    for (int i = 0; i < n; i++)
        if (strcmp(rows[i].name, key) == 0)
            return kpar_attribute_parse(&rows[i], value, &r->line.kernel.attributes);
    return false;
}

static kpar_status read_field(kpar_text_reader *r, const kpar_line_kind *kind, const char *key, char *value,
                              unsigned *seen)
{
    const kpar_line_field *f = kind->fields;
    while (f->key && strcmp(f->key, key) != 0) f++;
    if (!f->key) {
        if (kind->attributes && parse_attribute(r, key, value)) return KPAR_OK;
        return kpar_text_malformed(r, "a field or value that a program has", key);
    }
    unsigned bit = 1U << (f - kind->fields);
    if (*seen & bit) return kpar_text_malformed(r, "each field once", key);
    *seen |= bit;
    if (f->parse(r, value, (char *)&r->line + f->offset)) return KPAR_OK;
    return kpar_fail(KPAR_EFORMAT, "program: line %d: field '%s' has a malformed value", r->number, f->key);
}

static kpar_status read_fields(kpar_text_reader *r, const kpar_line_kind *kind, char *at)
{
    unsigned seen = 0;
    while (at += strspn(at, " "), *at) {
        char *key = at, *value, *equals = at + strcspn(at, "= ");
        if (*equals != '=') return kpar_text_malformed(r, "key=value", key);
        *equals = '\0';
        at = equals + 1;
        if (!cut_value(&at, &value)) return kpar_text_malformed(r, "a value that ends", key);
        KPAR_TRY(read_field(r, kind, key, value, &seen));
    }
    for (const kpar_line_field *f = kind->fields; f->key; f++)
        if (f->needed && !(seen >> (f - kind->fields) & 1))
            return kpar_fail(KPAR_EFORMAT, "program: line %d: expected the field '%s'", r->number, f->key);
    return kind->complete(r);
}

static kpar_status read_line(kpar_text_reader *r, char *text)
{
    char *rest = text + strcspn(text, " ");
    if (*text == '\0' || *text == '#') return KPAR_OK;
    if (*rest) *rest++ = '\0';
    int n;
    const kpar_line_kind *kinds = kpar_line_kinds(&n);
    for (int i = 0; i < n; i++) {
        if (strcmp(text, kinds[i].word) != 0) continue;
        if (i > 0 && !r->program) return kpar_text_malformed(r, "a first line 'program'", text);
        begin_line(r);
        return read_fields(r, &kinds[i], rest);
    }
    return kpar_text_malformed(r, "program, group, slot, kernel or instruction", text);
}

static kpar_status read_all(kpar_text_reader *r, char *text)
{
    for (char *at; (at = kpar_next_element(&text, '\n'));) {
        r->number++;
        KPAR_TRY(read_line(r, at));
    }
    if (!r->program) return kpar_text_malformed(r, "a line 'program'", "none");
    kpar_status status = kpar_program_check(r->program);
    return status == KPAR_OK ? status : kpar_fail_in(KPAR_EFORMAT, "program text");
}

static void free_reader(kpar_text_reader *r)
{
    kpar_arena_destroy(r->arena);
    kpar_free(r->inputs);
    kpar_free(r->outputs);
    kpar_free(r->reads.items);
    kpar_free(r->writes.items);
    kpar_free(r->ranks);
    kpar_free(r->waits);
    kpar_free(r->counts);
}

kpar_status kpar_program_read(const char *text, kpar_program **program)
{
    kpar_text_reader r = {0};
    char *copy = kpar_strdup(text);
    kpar_status status = read_all(&r, copy);
    kpar_free(copy);
    free_reader(&r);
    if (status != KPAR_OK) {
        kpar_program_destroy(r.program);
        r.program = NULL;
    }
    *program = r.program;
    return status;
}
