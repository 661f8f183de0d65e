/* Open addressing with linear probing; at most half of the slots are taken. */
#include "base/names.h"

#include "base/hash.h"
#include "base/memory.h"

#include <string.h>

/* The slot that `text` has, or would have. There must be slots. */
static int *slot_of(const kpar_names *names, const char *text)
{
    const size_t mask = names->n_slots - 1;
    size_t at = (size_t)kpar_hash(KPAR_HASH_START, text, strlen(text)) & mask;
    while (names->slots[at] && strcmp(names->texts[names->slots[at] - 1], text) != 0) at = (at + 1) & mask;
    return &names->slots[at];
}

int kpar_names_find(const kpar_names *names, const char *text)
{
    return names->n_slots ? *slot_of(names, text) - 1 : -1;
}

static void double_slots(kpar_names *names)
{
    kpar_free(names->slots);
    names->n_slots = names->n_slots ? 2 * names->n_slots : 16;
    names->slots = kpar_alloc_zeroed(names->n_slots, sizeof *names->slots);
    for (size_t i = 0; i < names->n; i++) *slot_of(names, names->texts[i]) = (int)i + 1;
}

int kpar_names_add(kpar_names *names, const char *text)
{
    if (2 * (names->n + 1) > names->n_slots) double_slots(names);
    int *slot = slot_of(names, text);
    if (!*slot) {
        KPAR_PUSH(names->texts, names->n, names->capacity) = text;
        *slot = (int)names->n;
    }
    return *slot - 1;
}

void kpar_names_clear(kpar_names *names)
{
    kpar_free(names->texts);
    kpar_free(names->slots);
    *names = (kpar_names){0};
}
