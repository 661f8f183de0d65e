/* A growing string, for dumps, messages and JSON. */
#ifndef KPAR_BASE_TEXT_H
#define KPAR_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct kpar_text {
    char *bytes; /* NUL-terminated once anything was added; NULL before */
    size_t length, capacity;
} kpar_text;

void kpar_text_printf(kpar_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void kpar_text_append(kpar_text *text, const char *bytes, size_t length);
const char *kpar_text_get(const kpar_text *text); /* "" when empty; valid until the next change */
void kpar_text_clear(kpar_text *text);            /* frees; the text is empty and usable again */

/* Whether `word` is one of `words`, which single or several spaces separate. */
bool kpar_has_word(const char *words, const char *word);

#endif
