/* Texts, numbered from 0 in the order in which they came; found by their hash. */
#ifndef KPAR_BASE_NAMES_H
#define KPAR_BASE_NAMES_H

#include <stddef.h>

/* Zeroed is empty. */
typedef struct kpar_names {
    const char **texts;
    size_t n, capacity;
    int *slots; /* numbers + 1, 0: free; a power of two of them */
    size_t n_slots;
} kpar_names;

int kpar_names_find(const kpar_names *names, const char *text); /* its number, or -1 */

/* The number of `text`, which is kept by reference if it is new. */
int kpar_names_add(kpar_names *names, const char *text);
void kpar_names_clear(kpar_names *names);

#endif
