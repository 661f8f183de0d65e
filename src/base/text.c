/* A growing string. */
#include "base/text.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

static void reserve(kpar_text *text, size_t more)
{
    size_t needed = text->length + more + 1;
    if (needed <= text->capacity) return;
    size_t capacity = text->capacity ? text->capacity : 64;
    while (capacity < needed) capacity *= 2;
    text->bytes = kpar_realloc(text->bytes, capacity);
    text->capacity = capacity;
}

void kpar_text_append(kpar_text *text, const char *bytes, size_t length)
{
    reserve(text, length);
    if (length) memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

void kpar_text_printf(kpar_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    reserve(text, (size_t)length);
    va_start(arguments, format);
    vsnprintf(text->bytes + text->length, (size_t)length + 1, format, arguments);
    va_end(arguments);
    text->length += (size_t)length;
}

const char *kpar_text_get(const kpar_text *text) { return text->bytes ? text->bytes : ""; }

void kpar_text_clear(kpar_text *text)
{
    kpar_free(text->bytes);
    *text = (kpar_text){0};
}

bool kpar_has_word(const char *words, const char *word)
{
    const size_t length = strlen(word);
    for (const char *at = words + strspn(words, " "); *at; at += strspn(at, " ")) {
        const size_t here = strcspn(at, " ");
        if (here == length && strncmp(at, word, length) == 0) return true;
        at += here;
    }
    return false;
}
